#!/usr/bin/env bash
# The tests that `make test` stands for: each program prints "N passed, N failed" as its last line; so does this.
# Further ones may be named. JOBS at a time (default 2), long ones first.
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0 jobs=${JOBS:-2}
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
show() { # COMMAND: what came of it
    local line
    line=$(grep -oE '^[0-9]+ passed, [0-9]+ failed' "$out/$2" | tail -n 1)
    if [ -z "$line" ]; then
        tail -n 20 "$out/$2"
        echo "$1: ended without a result"
        failed=$((failed + 1))
        return
    fi
    if [ "${line#*, }" != "0 failed" ]; then tail -n 60 "$out/$2"; fi
    echo "$1: $line$(sed -n 's/^skipped: /, skipped: /p' "$out/$2" | tr -d '\n')"
    passed=$((passed + ${line%% *}))
    line=${line#*, }
    failed=$((failed + ${line%% *}))
}
tests=("$@" tests/test_cli.sh build/test_core tests/check_docs.sh)
for t in scale train geometry select text uncertainty evidence next files compact; do tests+=(build/test_$t); done
tests+=(tests/test_atlas.sh tests/test_mpi.sh)
for i in "${!tests[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
    JOBS=$(((jobs + 1) / 2)) ${tests[i]} >"$out/$i" 2>&1 & # the scripts have jobs of their own
    pid[i]=$!
done
for ((k = 0; k < ${#tests[@]}; k++)); do # those that were named last: they take longest
    i=$(((k + $#) % ${#tests[@]}))
    wait "${pid[i]}"
    show "${tests[i]}" "$i"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
