#!/usr/bin/env bash
# clang-format leaves every source as it is, clang-tidy has nothing to say.
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0
if command -v clang-format >/dev/null; then
    for f in locus.h examples/*.c examples/locus/*.[ch] tests/*.[ch] bench/*.[ch] bench/experiments/*.[ch]; do
        if clang-format --dry-run -Werror "$f" >/dev/null 2>&1; then passed=$((passed + 1)); else
            echo "FAIL $f is not as clang-format would have it: make format"
            failed=$((failed + 1))
        fi
    done
else
    echo "skipped: no clang-format"
fi
if command -v clang-tidy >/dev/null; then
    if out=$(clang-tidy --quiet tests/tidy.c -- -std=c99 -I. 2>/dev/null) && [ -z "$out" ]; then
        passed=$((passed + 1))
    else
        printf '%s\n' "$out" | head -n 40
        echo "FAIL clang-tidy"
        failed=$((failed + 1))
    fi
else
    echo "skipped: no clang-tidy"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
