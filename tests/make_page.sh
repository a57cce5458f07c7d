#!/usr/bin/env bash
# examples/atlas_page.h from examples/atlas.html: the page as C strings, a line each. With --check: does it agree?
#
#     tests/make_page.sh [--check]
cd "$(dirname "$0")/.." || exit 1
page() {
    cat <<'HEAD'
// SPDX-License-Identifier: MIT
// Made by tests/make_page.sh from examples/atlas.html: change that one.
// clang-format off
#ifndef LOCUS_ATLAS_PAGE_H
#define LOCUS_ATLAS_PAGE_H
static const char *const atlas_page[] = {
HEAD
    # No trigraphs: each ? is escaped. Indentation goes, empty lines too.
    sed -e 's/^ *//' -e '/^$/d' -e 's/[\\"?]/\\&/g' -e 's/.*/    "&\\n",/' examples/atlas.html
    printf '    0};\n#endif\n'
}
if LC_ALL=C grep -n '[^ -~]' examples/atlas.html; then
    echo "examples/atlas.html: expected printable ASCII only"
    exit 1
fi
if [ "${1:-}" = --check ]; then page | cmp - examples/atlas_page.h; else page >examples/atlas_page.h; fi
