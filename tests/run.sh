#!/usr/bin/env bash
# The tests that `make test` stands for: each program prints "N passed, N failed" as its last line; so does this.
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0
run() {
    local out line
    out=$("$@" 2>&1)
    line=$(printf '%s\n' "$out" | grep -E '^[0-9]+ passed, [0-9]+ failed' | tail -n 1)
    if [ -z "$line" ]; then
        printf '%s\n' "$out" | tail -n 20
        echo "$*: ended without a result"
        failed=$((failed + 1))
        return
    fi
    if [ "${line#*, }" != "0 failed" ]; then printf '%s\n' "$out" | tail -n 60; fi
    echo "$*: $line$(printf '%s\n' "$out" | sed -n 's/^skipped: /, skipped: /p' | tr -d '\n')"
    passed=$((passed + ${line%% *}))
    line=${line#*, }
    failed=$((failed + ${line%% *}))
}
run tests/check_docs.sh
for t in files text core train geometry select uncertainty evidence next scale; do run build/test_$t; done
run tests/test_cli.sh
run tests/test_atlas.sh
run tests/test_mpi.sh
for extra in "$@"; do run $extra; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
