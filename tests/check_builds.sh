#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds locus.h in all the ways that its contract allows, warnings being errors, and looks into the objects.
#
#     tests/check_builds.sh            everything (some minutes on two cores)
#     tests/check_builds.sh compile    no runs of the test suite
#
# A compiler or emulator that is missing is skipped with a line that says so. Last line: N passed, N failed.
# JOBS: how many at a time (default 2). KEEP=1 keeps the folder with objects and logs. FULL=0: what CI has time for:
# every compiler, standard, macro and machine still, but fewer combinations of them. ONLY='suite*': what is so named.
set -u
cd "$(dirname "$0")/.." || exit 2
root=$PWD
mode=${1:-all}
jobs=${JOBS:-2}
full=${FULL:-1}
tmp=$(mktemp -d)
: > "$tmp/results"
[ "${KEEP:-0}" = 1 ] && echo "logs in $tmp" || trap 'rm -rf "$tmp"' EXIT

warn="-Werror -Wall -Wextra -Wpedantic -Wconversion -Wshadow"
number=0

pass() { echo "PASS $1" | tee -a "$tmp/results"; }
fail() { echo "FAIL $1" | tee -a "$tmp/results"; }
skip() { echo "skipped: $1"; }
have() { command -v "$1" > /dev/null 2>&1; }

# try NAME COMMAND: in the background; passes if the command succeeds. The log of a failure is shown.
try() {
    local name=$1 log
    case $name in ${ONLY:-*}) ;; *) return ;; esac
    shift
    number=$((number + 1))
    log=$tmp/log.$number
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
    {
        if ( eval "$*" ) > "$log" 2>&1; then
            pass "$name"
        else
            fail "$name"
            printf '    %s\n' "$*"
            grep -E 'error|warning|FAIL|undefined|expected' "$log" | head -n 12 | sed 's/^/    /'
            tail -n 3 "$log" | sed 's/^/    /'
        fi
    } &
}

# none FILE PATTERN: no line of FILE matches.
none() {
    [ -f "$1" ] || return 1
    if grep -En "$2" "$1" | head -n 10 | grep .; then return 1; fi
}

# ---------------------------------------------------------------------------------------------------- sources

cat > "$tmp/impl.c" << 'C'
#define LOCUS_IMPLEMENTATION
#include "locus.h"
C
cp "$tmp/impl.c" "$tmp/impl.cpp"
cat > "$tmp/decl.c" << 'C'
#include "locus.h"
typedef int nothing_else;
C
cp "$tmp/decl.c" "$tmp/decl.cpp"
cat > "$tmp/app.c" << 'C'
#include "locus.h"
#include <stdio.h>
int main(void)
{
    int i, best = 0;
    for (i = 1; i < LOCUS_ISA_COUNT; i++)
        if (locus_isa_supported((locus_isa)i)) best = i;
    printf("%s %s\n", locus_isa_name((locus_isa)best), locus_version());
    return locus_probability(0.0) < 0.5 || locus_probability(0.0) > 0.5;
}
C
cp "$tmp/app.c" "$tmp/app.cpp"
{ cat "$tmp/impl.c"; sed 1d "$tmp/app.c"; } > "$tmp/one.c"
cp "$tmp/one.c" "$tmp/one.cpp"
printf '#include "locus.h"\n#include "locus.h"\n#define LOCUS_IMPLEMENTATION\n#include "locus.h"\n#undef LOCUS_IMPLEMENTATION\n#include "locus.h"\nint twice(void);\nint twice(void) { return locus_version()[0]; }\n' > "$tmp/twice.c"
cp "$tmp/twice.c" "$tmp/twice.cpp"
system_headers='#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>'
printf '%s\n#define LOCUS_IMPLEMENTATION\n#include "locus.h"\n' "$system_headers" > "$tmp/after.c"
printf '#define LOCUS_IMPLEMENTATION\n#include "locus.h"\n%s\n' "$system_headers" > "$tmp/before.c"
printf '#include <immintrin.h>\n#define LOCUS_IMPLEMENTATION\n#include "locus.h"\n' > "$tmp/intrin.c"
cat > "$tmp/second.c" << 'C'
#include "locus.h"
const char *second(void);
const char *second(void) { return locus_status_name(LOCUS_OK); }
C
cat > "$tmp/static1.c" << 'C'
#define LOCUS_STATIC
#define LOCUS_IMPLEMENTATION
#include "locus.h"
const char *second(void);
int main(void) { return second()[0] != 'L' || locus_version()[0] != second()[0] + locus_version()[0] - 'L'; }
C
cat > "$tmp/static2.c" << 'C'
#define LOCUS_STATIC
#define LOCUS_IMPLEMENTATION
#include "locus.h"
const char *second(void);
const char *second(void) { return locus_status_name(LOCUS_OK); }
C
# The program in the header's first comment.
awk '/^\/\/ A complete program/ {on = 1; next} on && /^\/\/     / {print substr($0, 8); some = 1; next} on && some && !/^\/\/$/ {exit}' \
    "$root/locus.h" > "$tmp/example.c"
mkdir -p "$tmp/renamed" && cp locus.h "$tmp/renamed/other_name.h"
printf '#define LOCUS_HEADER "other_name.h"\n#define LOCUS_IMPLEMENTATION\n#include "other_name.h"\nint main(void) { return locus_version()[0] == 0; }\n' > "$tmp/renamed/main.c"

cat > "$tmp/best" << 'SH'
flags=" $(grep -m1 ^flags /proc/cpuinfo) "
has() { for f in "$@"; do case "$flags" in *" $f "*) ;; *) return 1 ;; esac; done; }
case "$(uname -m)" in
x86_64) if has avx512f avx512dq avx512bw avx512vl; then echo avx512; elif has avx2 fma; then echo avx2; else echo scalar; fi ;;
aarch64) echo neon ;;
*) echo scalar ;;
esac
SH

in="-I$root"

# Where only warnings are asked for, CI has the compiler look and make no code; where code is run once, it need not be the
# best. Code is still made and run in every way by the suites below.
if [ $full = 1 ]; then
    fast=-O2
    compile() { echo "-O0 -c $1 -o $2"; }
else
    fast=-O1
    compile() { echo "-fsyntax-only $1"; }
fi

# ---------------------------------------------------------------------------------------------------- warnings

for cc in gcc clang; do
    have $cc || { skip "$cc is not installed"; continue; }
    try "$cc -std=c99 -O0: no warning" "$cc -std=c99 $warn -O0 $in -c $tmp/impl.c -o $tmp/$cc-c99.o"
    for std in c99 c11 c17 c2x gnu99; do
        [ $std = c99 ] ||
            try "$cc -std=$std: no warning" "$cc -std=$std $warn $in $(compile "$tmp/impl.c" "$tmp/$cc-$std.o")"
        try "$cc -std=$std declarations alone: no warning, -Wsign-conversion too" \
            "$cc -std=$std $warn -Wsign-conversion -Wundef -Wcast-align -Wdouble-promotion -Wstrict-prototypes $in -c $tmp/decl.c -o $tmp/d-$cc-$std.o"
    done
    for opt in "-O2" "-O3" "-Os" "-O2 -march=native" "-O1 -mavx" "-O1 -mavx2 -mfma" "-O2 -mavx512f -mavx512dq -mavx512bw -mavx512vl" "-O1 -flto" "-Og -g" "-O1 -fPIC -fvisibility=hidden"; do
        case "$opt" in *-m*) [ "$(uname -m)" = x86_64 ] || continue ;; esac
        case "$full $cc $opt" in "1 "* | "0 clang -O2" | "0 gcc -O3" | "0 gcc -Os" | "0 gcc -O2 -mavx512"*) ;; *) continue ;; esac
        try "$cc -std=c99 $opt: no warning" "$cc -std=c99 $warn $opt $in -c $tmp/impl.c -o $tmp/$cc-${opt// /}.o"
    done
    try "$cc with a picky user's flags: no warning" \
        "$cc -std=c99 $warn -Wsign-conversion -Wundef -Wcast-align -Wdouble-promotion -Wvla -Wstrict-prototypes -Wpointer-arith -Wwrite-strings $in $(compile "$tmp/impl.c" "$tmp/picky-$cc.o")"
done
for cc in g++ clang++; do
    have $cc || { skip "$cc is not installed"; continue; }
    try "$cc -std=c++17 -O0: no warning" "$cc -std=c++17 $warn -O0 $in -c $tmp/impl.cpp -o $tmp/$cc-c++17.o"
    for std in c++17 c++20 gnu++17; do
        [ $std = c++17 ] ||
            try "$cc -std=$std: no warning" "$cc -std=$std $warn $in $(compile "$tmp/impl.cpp" "$tmp/$cc-$std.o")"
        try "$cc -std=$std declarations alone: no warning, -Wsign-conversion too" \
            "$cc -std=$std $warn -Wsign-conversion -Wundef -Wcast-align -Wdouble-promotion $in -c $tmp/decl.cpp -o $tmp/d-$cc-$std.o"
    done
    [ $full = 0 ] || # the suite is built like that
        try "$cc -std=c++17 -O2: no warning" "$cc -std=c++17 $warn -O2 $in -c $tmp/impl.cpp -o $tmp/$cc-O2.o"
done
if have tcc; then
    try "tcc" "tcc $in -o $tmp/tcc-one $tmp/one.c -lm -lpthread && $tmp/tcc-one"
else
    skip "tcc is not installed"
fi

# ---------------------------------------------------------------------------------------------------- macros

macros="NO_MALLOC NO_STDIO NO_MMAP NO_THREADS NO_SIMD INFERENCE_ONLY NO_TRAIN NO_EXPLORE NO_ENCODER MESSAGES"
for cc in gcc clang; do
    have $cc || continue
    for a in $macros STATIC; do # the symbols of one compiler's objects are looked at
        make="-O0 -c $tmp/impl.c -o $tmp/m-$cc-$a.o"
        [ $cc = gcc ] || make=$(compile "$tmp/impl.c" "$tmp/m-$cc-$a.o")
        try "$cc LOCUS_$a: no warning" "$cc -std=c99 $warn -DLOCUS_$a $in $make"
    done
    all=$(for a in $macros; do printf -- '-DLOCUS_%s ' "$a"; done)
    try "$cc all LOCUS_ macros but LOCUS_INFERENCE_ONLY: no warning" "$cc -std=c99 $warn $fast ${all/-DLOCUS_INFERENCE_ONLY/} $in -c $tmp/impl.c -o $tmp/m-$cc-most.o"
    try "$cc all LOCUS_ macros together: no warning" "$cc -std=c99 $warn -O2 $all $in -c $tmp/impl.c -o $tmp/m-$cc-all.o"
    try "$cc all LOCUS_ macros and LOCUS_STATIC: no warning" "$cc -std=c99 $warn -O0 -DLOCUS_STATIC $all $in -c $tmp/impl.c -o $tmp/m-$cc-alls.o"
done
if have gcc; then
    for a in $macros; do
        for b in $macros; do
            [[ $a < $b ]] || continue
            try "gcc LOCUS_$a with LOCUS_$b: no warning" "gcc -std=c99 $warn -DLOCUS_$a -DLOCUS_$b $in $(compile "$tmp/impl.c" "$tmp/m2-$a-$b.o")"
        done
    done
fi
[ $full = 1 ] && have g++ && for a in $macros STATIC; do
    try "g++ LOCUS_$a: no warning" "g++ -std=c++17 $warn -O0 -DLOCUS_$a $in -c $tmp/impl.cpp -o $tmp/m-g++-$a.o"
done
if have gcc; then
    try "gcc LOCUS_ASSERT and own allocator: no warning" \
        "gcc -std=c99 $warn -O0 -include assert.h -include stdlib.h '-DLOCUS_ASSERT(x)=assert(x)' '-DLOCUS_MALLOC(n)=malloc(n)' '-DLOCUS_FREE(p)=free(p)' $in -c $tmp/impl.c -o $tmp/m-assert.o"
    try "only one of LOCUS_MALLOC and LOCUS_FREE: an error" \
        "! gcc -std=c99 -O0 -include stdlib.h '-DLOCUS_MALLOC(n)=malloc(n)' $in -c $tmp/impl.c -o $tmp/m-half.o"
    try "LOCUS_API is the linkage of all public functions" \
        "gcc -std=c99 $warn -O0 -fvisibility=hidden '-DLOCUS_API=__attribute__((visibility(\"default\")))' -fPIC $in -shared $tmp/impl.c -o $tmp/m-api.so -lm -lpthread && nm -D --defined-only $tmp/m-api.so | grep -q ' T locus_encode\$'"
fi
wait

# ---------------------------------------------------------------------------------------------------- symbols

if have gcc && have nm; then
    symbols() { nm "$@" | awk '{print $NF}' | sed 's/@.*//' | sort -u; }
    defined() { symbols -g --defined-only "$1" > "$1.def"; }
    undefined() { symbols -u "$1" > "$1.und"; }
    for o in "$tmp"/gcc-c99.o "$tmp"/clang-c99.o "$tmp"/g++-c++17.o "$tmp"/clang++-c++17.o "$tmp"/gcc--O3.o; do
        [ -f "$o" ] || [ -n "${ONLY:-}" ] || { fail "symbols of $(basename "$o"): no object"; continue; }
        [ -f "$o" ] || continue
        defined "$o"
        try "$(basename "$o"): every external symbol begins with locus_" "[ -s $o.def ] && ! grep -v '^locus_' $o.def"
    done
    for cc in gcc clang g++; do
        o=$tmp/m-$cc-STATIC.o
        [ -f "$o" ] || continue
        defined "$o"
        try "$cc LOCUS_STATIC exports nothing" "[ ! -s $o.def ]"
    done
    for cc in gcc clang; do
        [ -f "$tmp/m-$cc-NO_MALLOC.o" ] || continue
        for a in $macros; do undefined "$tmp/m-$cc-$a.o"; defined "$tmp/m-$cc-$a.o"; done
        undefined "$tmp/$cc-c99.o"; defined "$tmp/$cc-c99.o"
        heap='^(malloc|free|calloc|realloc|aligned_alloc|posix_memalign|memalign|strdup)$'
        files='^(fopen|fopen64|fclose|fread|fwrite|fseek|fseeko|fseeko64|ftell|ftello|ftello64|fflush|fputs|fprintf|printf|puts|perror|remove|rename|unlink|open|open64|read|write|close|fstat|stat|mkstemp|tmpfile|mmap|mmap64|stderr|stdout)$'
        try "$cc the plain build does use the heap, files, mmap and threads (else the next lines prove nothing)" \
            "grep -Eq '$heap' $tmp/$cc-c99.o.und && grep -Eq '$files' $tmp/$cc-c99.o.und && grep -q '^mmap' $tmp/$cc-c99.o.und && grep -q '^pthread_create' $tmp/$cc-c99.o.und && grep -q '^locus_encode\$' $tmp/$cc-c99.o.def"
        try "$cc LOCUS_NO_MALLOC: no malloc, no free" "none $tmp/m-$cc-NO_MALLOC.o.und '$heap'"
        try "$cc LOCUS_NO_STDIO: no file functions" "none $tmp/m-$cc-NO_STDIO.o.und '$files'"
        try "$cc LOCUS_NO_STDIO: no function that takes a path" "none $tmp/m-$cc-NO_STDIO.o.def '_(open|save)\$'"
        try "$cc LOCUS_NO_MMAP: no mmap" "none $tmp/m-$cc-NO_MMAP.o.und '^(mmap|mmap64|munmap)\$'"
        try "$cc LOCUS_NO_THREADS: no pthreads" "none $tmp/m-$cc-NO_THREADS.o.und '^pthread' && none $tmp/m-$cc-NO_THREADS.o.def '^locus_threads'"
        printf 'locus_%s\n' encode encode_text probability router_add router_close router_count router_find router_load router_name \
            router_open router_route router_route_text router_set_available router_set_cost status_name version \
            > "$tmp/compact.list"
        try "$cc LOCUS_INFERENCE_ONLY: these functions and no others" "diff $tmp/compact.list $tmp/m-$cc-INFERENCE_ONLY.o.def"
        try "$cc LOCUS_INFERENCE_ONLY with all others: no heap, no files, no threads" \
            "! nm -u $tmp/m-$cc-all.o | awk '{print \$NF}' | grep -vE '^(mem(cpy|move|set|cmp)|bcmp|str(len|cmp)|expf?|logf?|sqrtf?|fabsf?|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail)\$'"
        try "$cc LOCUS_NO_TRAIN: no training, in the plain build there is" \
            "none $tmp/m-$cc-NO_TRAIN.o.def '^locus_train' && grep -q '^locus_train_run\$' $tmp/$cc-c99.o.def && ! nm $tmp/m-$cc-NO_TRAIN.o | grep 'locusi*_train'"
        sed -n '/end of the interface/q; /^#ifndef LOCUS_NO_EXPLORE/,/^#endif \/\/ LOCUS_NO_EXPLORE/p' "$root/locus.h" |
            sed -n 's/^LOCUS_API [^(]*\(locus_[a-z_]*\)(.*/\1/p' | sort -u > "$tmp/explore.list"
        try "$cc LOCUS_NO_EXPLORE: nothing of it, in the plain build there is" \
            "[ \$(wc -l < $tmp/explore.list) -gt 20 ] && ! comm -12 $tmp/explore.list $tmp/m-$cc-NO_EXPLORE.o.def | grep . && ! comm -23 $tmp/explore.list $tmp/$cc-c99.o.def | grep . && grep -q '^locus_train_run\$' $tmp/m-$cc-NO_EXPLORE.o.def && grep -q '^locus_pool_calibration\$' $tmp/m-$cc-NO_EXPLORE.o.def && grep -q '^locus_pool_copy\$' $tmp/m-$cc-NO_EXPLORE.o.def"
        try "$cc nothing prints, exits or uses errno" "none $tmp/$cc-c99.o.und '^(printf|fprintf|puts|fputs|putchar|exit|abort|perror|stderr|stdout|__assert_fail)\$'"
        try "$cc LOCUS_NO_SIMD: no vendor header" \
            "$cc -E -DLOCUS_NO_SIMD $in $tmp/impl.c > $tmp/$cc-nosimd.i && none $tmp/$cc-nosimd.i 'immintrin|arm_neon|cpuid.h|intrin.h'"
        try "$cc no writable global state" \
            "$cc -std=c99 -O1 -fno-pic $in -c $tmp/impl.c -o $tmp/nopic-$cc.o && ! nm $tmp/nopic-$cc.o | grep -E ' [bBdDC] '"
    done
fi

# ---------------------------------------------------------------------------------------------------- inclusion and linking

for cc in gcc clang; do
    have $cc || continue
    cxx=${cc/gcc/g++}
    [ $cc = clang ] && cxx=clang++
    try "$cc included twice, before and after the implementation" "$cc -std=c99 $warn $in $(compile "$tmp/twice.c" "$tmp/twice-$cc.o")"
    try "$cc after the system's headers, -std=c99" "$cc -std=c99 $warn $in $(compile "$tmp/after.c" "$tmp/after-$cc.o")"
    try "$cc after the system's headers, gnu mode" "$cc $warn $in $(compile "$tmp/after.c" "$tmp/after2-$cc.o")"
    try "$cc after the system's headers, _GNU_SOURCE" "$cc -D_GNU_SOURCE -std=c11 $warn $in $(compile "$tmp/after.c" "$tmp/after3-$cc.o")"
    try "$cc before the system's headers" "$cc -std=c99 $warn $in $(compile "$tmp/before.c" "$tmp/before-$cc.o")"
    [ "$(uname -m)" = x86_64 ] && try "$cc after immintrin.h" "$cc -std=c99 $warn $in $(compile "$tmp/intrin.c" "$tmp/intrin-$cc.o")"
    try "$cc plain one-file program" "$cc $fast $in $tmp/one.c -o $tmp/one-$cc -lm && [ \"\$($tmp/one-$cc | cut -d' ' -f1)\" = \"\$(bash $tmp/best)\" ]"
    try "$cc several translation units" "$cc -O0 $in $tmp/app.c $tmp/second.c $tmp/impl.c -o $tmp/several-$cc -lm && $tmp/several-$cc"
    try "$cc LOCUS_STATIC in two units" "$cc -O0 $in $tmp/static1.c $tmp/static2.c -o $tmp/static-$cc -lm && $tmp/static-$cc"
    try "$cc under another file name" "$cc -O0 -I$tmp/renamed $tmp/renamed/main.c -o $tmp/renamed-$cc -lm && $tmp/renamed-$cc"
    try "$cc without a heap, all in static memory" "$cc -O0 -Wall -Werror $in $root/tests/no_heap.c -o $tmp/noheap-$cc -lm && $tmp/noheap-$cc $root/tests/golden/tiny/model.safetensors"
    [ $full$cc = 0gcc ] || # `make test` has run it
        try "$cc LOCUS_INFERENCE_ONLY routes and embeds as the library does" "$cc $fast $warn $root/tests/test_compact.c $root/tests/compact.c -o $tmp/compact-$cc -lm -lpthread && cd $root && LOCUS_TEST_TMP=$tmp LOCUS_TEST_QUICK=1 $tmp/compact-$cc"
    try "$cc the first example, in the route-only build too" "[ \$(wc -l < $tmp/example.c) -gt 10 ] && for only in '' -DLOCUS_INFERENCE_ONLY; do $cc $fast -Wall -Wextra -Werror \$only $in $tmp/example.c -o $tmp/first-$cc -lm && $tmp/first-$cc $root/examples/data/router.safetensors 'Who?' | grep '^[^ ].*%)\$' || exit 1; done"
    for flag in -ffast-math $([ $full = 1 ] && echo -Ofast); do
        try "$cc $flag: what is no number is refused" "$cc -std=c99 ${flag/-ffast/$fast -ffast} $in $root/tests/fast_math.c -o $tmp/fast$flag-$cc -lm -lpthread && timeout 60 $tmp/fast$flag-$cc $root/tests/golden/tiny/model.safetensors"
    done
    have $cxx || continue
    try "$cxx included twice" "$cxx -std=c++17 $warn $in $(compile "$tmp/twice.cpp" "$tmp/twice-$cxx.o")"
    try "$cxx application, $cc implementation" "$cxx -O0 $in -c $tmp/app.cpp -o $tmp/cxxapp-$cc.o && $cc -O0 $in -c $tmp/impl.c -o $tmp/cimpl-$cc.o && $cxx $tmp/cxxapp-$cc.o $tmp/cimpl-$cc.o -o $tmp/mix1-$cc -lm && $tmp/mix1-$cc"
    try "$cc application, $cxx implementation" "$cc -O0 $in -c $tmp/app.c -o $tmp/capp-$cc.o && $cxx -O0 $in -c $tmp/impl.cpp -o $tmp/cxximpl-$cc.o && $cxx $tmp/capp-$cc.o $tmp/cxximpl-$cc.o -o $tmp/mix2-$cc -lm && $tmp/mix2-$cc"
done
if have gcc; then
    try "gcc -ffast-math, the command line: missing scores are missing" "gcc -O1 -ffast-math $in $root/examples/locus.c -o $tmp/locus-fast -lm -lpthread && gcc -O1 -DLOCUS_NO_SIMD -DLOCUS_NO_THREADS $root/tests/npydiff.c -o $tmp/npydiff -lm && $tmp/npydiff make $tmp/gaps.npy f4 2,5 1 nan 0 nan 1 && $tmp/locus-fast embed --net $root/tests/golden/tiny/model.safetensors --encodings $root/tests/golden/tiny/q_anchor.npy --scores $tmp/gaps.npy --out $tmp/gaps.safetensors && $tmp/locus-fast info $tmp/gaps.safetensors --json | grep -q '\"evaluations\":3'"
fi
if have cc; then
    try "cc -O2 app.c -lm finds the best instruction set: $(bash "$tmp/best")" "cd $tmp && cp $root/locus.h . && cc -O2 one.c -o plain -lm && ./plain && [ \"\$(./plain | cut -d' ' -f1)\" = \"\$(bash best)\" ]"
fi
wait

# ---------------------------------------------------------------------------------------------------- the suite in other builds

suite() { # NAME, build command with the output OUT, runner
    local out
    case "$full $1" in
    "1 "* | "0 suite core: "*-O0 | "0 suite core: clang -O2" | "0 suite core: g++"* | "0 suite core: LOCUS_NO_SIMD") ;;
    "0 suite core: LOCUS_NO_THREADS" | "0 suite core: 32-bit"* | "0 suite core: aarch64") ;;
    "0 suite train: clang -O2" | "0 suite train: LOCUS_NO_SIMD") ;;
    *) return ;;
    esac
    out=$tmp/suite.$((++suites))
    try "$1" "${2//OUT/$out} && cd $root && LOCUS_TEST_TMP=$tmp LOCUS_TEST_QUICK=1 timeout ${4:-600} ${3:-} $out"
}
suites=0
for which in core train; do
    [ "$mode" != compile ] || break
    test=$root/tests/test_$which.c
    have gcc && suite "suite $which: gcc -std=c99 -O3 -march=native" "gcc -std=c99 $warn -O3 -march=native $test -o OUT -lm -lpthread"
    have gcc && suite "suite $which: gcc -O0" "gcc -std=c99 $warn -O0 $test -o OUT -lm -lpthread"
    have clang && suite "suite $which: clang -O2" "clang -std=c11 $warn -O2 $test -o OUT -lm -lpthread"
    have g++ && suite "suite $which: g++ -std=c++17" "g++ -x c++ -std=c++17 $warn $fast $test -o OUT -lm -lpthread"
    have clang++ && suite "suite $which: clang++ -std=c++20" "clang++ -x c++ -std=c++20 $warn $fast $test -o OUT -lm -lpthread"
    have gcc && suite "suite $which: LOCUS_NO_SIMD" "gcc -std=c99 $fast -DLOCUS_NO_SIMD $test -o OUT -lm -lpthread"
    have gcc && suite "suite $which: LOCUS_NO_THREADS" "gcc -std=c99 $warn $fast -DLOCUS_NO_THREADS $test -o OUT -lm"
    have gcc && suite "suite $which: LOCUS_NO_MMAP" "gcc -std=c99 -O2 -DLOCUS_NO_MMAP $test -o OUT -lm -lpthread"
    have gcc && suite "suite $which: LOCUS_STATIC, -flto" "gcc -std=c99 -O2 -flto -DLOCUS_STATIC $test -o OUT -lm -lpthread"
    have gcc && suite "suite $which: LOCUS_ASSERT on" "gcc -std=c99 -O2 -include assert.h '-DLOCUS_ASSERT(x)=assert(x)' $test -o OUT -lm -lpthread"
    wait
    # other machines: NAME COMPILER RUNNER FLAGS
    while read -r name compiler runner flags; do
        have "$compiler" || { skip "$name: $compiler is not installed"; continue; }
        [ "$runner" = - ] || have "$runner" || { skip "$name: $runner is not installed"; continue; }
        echo 'int main(void) { return 0; }' > "$tmp/empty.c"
        # shellcheck disable=SC2086
        $compiler $flags "$tmp/empty.c" -o "$tmp/empty" > /dev/null 2>&1 || { skip "$name: $compiler $flags cannot link"; continue; }
        [ "$runner" = - ] && runner=
        [ $which = core ] && try "$name: no warning" "$compiler -std=c99 $warn $flags $fast $in -c $tmp/impl.c -o $tmp/cross-$name.o"
        suite "suite $which: $name" "$compiler -std=c99 $fast $flags $test -o OUT -lm -lpthread" "$runner" 1500
    done << 'LIST'
32-bit-x86 gcc - -m32 -msse2 -mfpmath=sse
aarch64 aarch64-linux-gnu-gcc qemu-aarch64-static -static
armv7 arm-linux-gnueabihf-gcc qemu-arm-static -static
s390x-big-endian s390x-linux-gnu-gcc qemu-s390x-static -static
mips-big-endian mips-linux-gnu-gcc qemu-mips-static -static
riscv64 riscv64-linux-gnu-gcc qemu-riscv64-static -static
LIST
done
wait

passed=$(grep -c '^PASS' "$tmp/results")
failed=$(grep -c '^FAIL' "$tmp/results")
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
