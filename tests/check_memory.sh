#!/usr/bin/env bash
# The suites under AddressSanitizer and UndefinedBehaviorSanitizer, under ThreadSanitizer and, short ones, under valgrind.
#
#     tests/check_memory.sh    FULL=0: what CI has time for (gcc alone, fewer threads, a shorter valgrind)
#                              JOBS: how many at a time (default 2)
cd "$(dirname "$0")/.." || exit 1
FULL=${FULL:-1} JOBS=${JOBS:-2}
W=build/memory
mkdir -p $W
results=$(mktemp -d) || exit 1
trap 'rm -rf "$results"' EXIT
export LOCUS_TEST_QUICK=1
# step NAME COMMAND: in the background; its last line must be "N passed, 0 failed"
number=0
step() {
    local name=$1
    shift
    number=$((number + 1))
    while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n; done
    {
        if (eval "$*") >"$results/$number" 2>&1 && tail -n 1 "$results/$number" | grep -qE '^[0-9]+ passed, 0 failed'; then
            echo "ok   $name"
            : >"$results/$number.ok"
        else
            tail -n 40 "$results/$number"
            echo "FAIL $name"
            : >"$results/$number.bad"
        fi
    } &
}
# The library is compiled once in each configuration, as the Makefile does for the tests.
make -s build/inside.h || exit 1
object() { # NAME COMMAND WITH FLAGS
    $2 -x c -DLOCUS_IMPLEMENTATION -DLOCUSI_FN=extern -include tests/allocator.h -c locus.h -o "$W/locus.$1.o"
}
linked() { # NAME, TEST, COMMAND WITH FLAGS: the command that builds it
    local more=
    if [ "$2" = compact ]; then
        more=$W/compact.$1.o
        echo "$3 -c tests/compact.c -o $more && "
    fi
    echo "$3 -DLOCUSI_IMPLEMENTED -Ibuild tests/test_$2.c $W/locus.$1.o $more -o $W/test_$2.$1 -lm -pthread"
}
SAN="-std=c99 -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"
ccs='' threaded='' plain=''
for cc in gcc clang; do
    command -v $cc >/dev/null || { echo "skipped: no $cc" && continue; }
    [ "$FULL" = 1 ] || [ $cc = gcc ] || continue
    ccs="$ccs $cc"
    object $cc "$cc $SAN" &
done
if command -v clang >/dev/null; then
    threaded="train core"
    [ "$FULL" = 1 ] && threaded="$threaded geometry uncertainty scale"
    object thread "clang -std=c99 -g -O1 -fsanitize=thread" &
fi
if command -v valgrind >/dev/null; then # it has no AVX-512: the best it knows is chosen through CPUID
    plain="files text"
    [ "$FULL" = 1 ] && plain="core $plain" # test_train would take an hour; the sanitizers above run it
    object plain "gcc -std=c99 -g -O1" &
else
    echo "skipped: no valgrind"
fi
wait
# The trainings on real data are left out: they are long, and all they call is tested above.
step "command line, address and undefined" "gcc $SAN examples/locus.c -o $W/locus -lm -pthread && \
    LOCUS=$W/locus SHARED=/nonexistent tests/test_cli.sh"
for cc in $ccs; do
    for t in core train geometry select uncertainty evidence next scale compact text files; do
        step "test_$t, $cc, address and undefined" "$(linked $cc "$t" "$cc $SAN") && $W/test_$t.$cc"
    done
done
for t in $threaded; do
    step "test_$t, clang, thread" "$(linked thread "$t" "clang -std=c99 -g -O1 -fsanitize=thread") && $W/test_$t.thread"
done
for t in $plain; do
    step "test_$t, valgrind" "$(linked plain "$t" "gcc -std=c99 -g -O1") && valgrind -q --error-exitcode=9 \
        --leak-check=full --errors-for-leak-kinds=definite $W/test_$t.plain"
done
wait
passed=$(find "$results" -name '*.ok' | wc -l) failed=$(find "$results" -name '*.bad' | wc -l)
[ $((passed + failed)) -eq $number ] || failed=$((failed + 1))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
