#!/usr/bin/env bash
# The suites under AddressSanitizer and UndefinedBehaviorSanitizer (gcc and clang), and a short one under valgrind.
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0
mkdir -p build/memory
step() { # NAME COMMAND...: its last line must be "N passed, 0 failed"
    local name=$1 out
    shift
    out=$("$@" 2>&1)
    if printf '%s\n' "$out" | tail -n 1 | grep -qE '^[0-9]+ passed, 0 failed'; then
        echo "ok   $name"
        passed=$((passed + 1))
    else
        printf '%s\n' "$out" | tail -n 40
        echo "FAIL $name"
        failed=$((failed + 1))
    fi
}
SAN="-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"
for cc in gcc clang; do
    if ! command -v $cc >/dev/null; then
        echo "skipped: no $cc"
        continue
    fi
    for t in test_files test_text test_core test_train test_geometry test_select test_uncertainty test_evidence test_next \
        test_scale; do
        if $cc -std=c99 $SAN tests/$t.c -o build/memory/$t.$cc -lm -pthread; then
            LOCUS_TEST_QUICK=1 step "$t, $cc, address and undefined" build/memory/$t.$cc
        else
            failed=$((failed + 1))
        fi
    done
done
if gcc -std=c99 $SAN examples/locus.c -o build/memory/locus -lm -pthread; then
    LOCUS=build/memory/locus step "command line, address and undefined" tests/test_cli.sh
fi
for t in test_core test_train test_geometry test_uncertainty test_scale; do
    if clang -std=c99 -g -O1 -fsanitize=thread tests/$t.c -o build/memory/$t.tsan -lm -pthread 2>/dev/null; then
        LOCUS_TEST_QUICK=1 step "$t, clang, thread" build/memory/$t.tsan
    fi
done
if command -v valgrind >/dev/null; then # it has no AVX-512: the best it knows is chosen through CPUID
    gcc -std=c99 -g -O1 tests/test_core.c -o build/memory/test_core.plain -lm -pthread
    gcc -std=c99 -g -O1 tests/test_files.c -o build/memory/test_files.plain -lm -pthread
    gcc -std=c99 -g -O1 tests/test_text.c -o build/memory/test_text.plain -lm -pthread
    for t in test_files test_text test_core; do # test_train would take an hour; the sanitizers above run it
        LOCUS_TEST_QUICK=1 step "$t, valgrind" valgrind -q --error-exitcode=9 --leak-check=full \
            --errors-for-leak-kinds=definite build/memory/$t.plain
    done
else
    echo "skipped: no valgrind"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
