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
SAN="-std=c99 -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"
tests="files text core train geometry select uncertainty evidence next scale compact"
build() { # COMPILER FLAGS TEST OUT: a test that looks inside holds the library, the others share one object
    case $3 in
    core | geometry | evidence) echo "$1 $2 -DLOCUSI_IMPLEMENTED tests/test_$3.c $W/locus.$1.o -o $4 -lm -pthread" ;;
    compact) echo "$1 $2 tests/test_compact.c tests/compact.c -o $4 -lm -pthread" ;;
    *) echo "$1 $2 tests/test_$3.c -o $4 -lm -pthread" ;;
    esac
}
for cc in gcc clang; do
    if ! command -v $cc >/dev/null; then
        echo "skipped: no $cc"
        continue
    fi
    [ "$FULL" = 1 ] || [ $cc = gcc ] || continue
    $cc $SAN -x c -DLOCUS_IMPLEMENTATION -include tests/allocator.h -c locus.h -o $W/locus.$cc.o &
    for t in $tests; do
        case $t in core) wait ;; esac # the object is there
        step "test_$t, $cc, address and undefined" "$(build $cc "$SAN" $t $W/test_$t.$cc) && $W/test_$t.$cc"
    done
done
# The trainings on real data are left out: they are long, and all they call is tested above.
step "command line, address and undefined" "gcc $SAN examples/locus.c -o $W/locus -lm -pthread && \
    LOCUS=$W/locus SHARED=/nonexistent tests/test_cli.sh"
threaded="core train"
[ "$FULL" = 1 ] && threaded="$threaded geometry uncertainty scale"
for t in $threaded; do
    command -v clang >/dev/null || break
    step "test_$t, clang, thread" \
        "clang -std=c99 -g -O1 -fsanitize=thread tests/test_$t.c -o $W/$t.tsan -lm -pthread && $W/$t.tsan"
done
if command -v valgrind >/dev/null; then # it has no AVX-512: the best it knows is chosen through CPUID
    plain="files text"
    [ "$FULL" = 1 ] && plain="$plain core" # test_train would take an hour; the sanitizers above run it
    for t in $plain; do
        step "test_$t, valgrind" "gcc -std=c99 -g -O1 tests/test_$t.c -o $W/test_$t.plain -lm -pthread && valgrind -q \
            --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite $W/test_$t.plain"
    done
else
    echo "skipped: no valgrind"
fi
wait
passed=$(find "$results" -name '*.ok' | wc -l) failed=$(find "$results" -name '*.bad' | wc -l)
[ $((passed + failed)) -eq $number ] || failed=$((failed + 1))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
