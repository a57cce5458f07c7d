#!/usr/bin/env bash
# examples/locus/atlas_page.c from atlas.html beside it: the page as C strings, a line each. With --check: does it agree?
#
#     tests/make_page.sh [--check]
cd "$(dirname "$0")/../examples/locus" || exit 1
page() {
    cat <<'HEAD'
// SPDX-License-Identifier: MIT
// Made by tests/make_page.sh from atlas.html: change that one.
// clang-format off
#include "locus_tool.h"
const char *const atlas_page[] = {
HEAD
    # No trigraphs: each ? is escaped. Indentation goes, empty lines too.
    sed -e 's/^ *//' -e '/^$/d' -e 's/[\\"?]/\\&/g' -e 's/.*/    "&\\n",/' atlas.html
    printf '    0};\n'
}
if LC_ALL=C grep -n '[^ -~]' atlas.html; then
    echo "examples/locus/atlas.html: expected printable ASCII only"
    exit 1
fi
if [ "${1:-}" = --check ]; then page | cmp - atlas_page.c; else page >atlas_page.c; fi
