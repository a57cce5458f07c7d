#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How large the library is, beside version 0.3.0 and the limits that it holds itself to.
#
#     tests/size.sh             the table; --strict: and a failure where a size (no time) is beyond its limit
#
# What a tool is missing for is shown as "-". Code is counted without libc and libm: constants and instructions of our
# own in a program that loads a router from memory and routes one query, -Os, unused functions dropped.
cd "$(dirname "$0")/.." || exit 2
strict=0 beyond=0
[ "${1:-}" = --strict ] && strict=1
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
base=e4e82ad # 0.3.0
mkdir "$tmp/old" "$tmp/stub"
git show $base:locus.h > "$tmp/old/locus.h" 2> /dev/null || rm -f "$tmp/old/locus.h"

row() { # NAME, 0.3.0, NOW, LIMIT, and what a number beyond the limit is: "size" or "time"
    local mark=
    if [ "$3" != - ] && awk "BEGIN {exit !($3 > $4)}"; then
        mark=" beyond"
        [ "$5" = size ] && beyond=1
    fi
    printf '%-58s %10s %10s %10s%s\n' "$1" "$2" "$3" "$4" "$mark"
}
have() { command -v "$1" > /dev/null 2>&1; }
contract() { awk '/^\/\/ -+ >>api$/ {on = 1} /^\/\/ -+ >>base$/ {exit} on' locus.h; }
seconds() { # of the processor, for a command
    local TIMEFORMAT=%U
    { time "$@" > /dev/null 2>&1; } 2>&1
}
ratio() { awk "BEGIN {printf \"%.2f\", $1 / $2}"; }

# ---- the program on a device

cat > "$tmp/route.c" << 'C'
#define LOCUS_IMPLEMENTATION
#include "locus.h"
extern const unsigned char file[];
extern const size_t file_bytes, text_bytes;
extern const locus_queries query;
extern const char text[];
extern const locus_evals evals;
size_t device(void);
size_t device(void)
{
    static unsigned char own[4096], work[65536];
    static locus_error err;
    locus_router router;
    locus_choice best;
    locus_run run = {0};
    run.memory = own, run.memory_bytes = sizeof own;
    if (locus_router_load(&router, file, file_bytes, &run, &err)) return 0;
    run.memory = work, run.memory_bytes = sizeof work;
#ifdef ENCODER
    {
        float z[128];
        if (locus_encode(router.net, &evals, z, &run, &err)) return 0;
        if (locus_router_add(&router, "new", z, NULL, &run, &err)) return 0;
    }
#endif
#ifdef TEXT
    if (locus_router_route_text(&router, text, text_bytes, NULL, &best, &run, &err)) return 0;
#else
    if (locus_router_route(&router, &query, NULL, &best, &run, &err)) return 0;
#endif
    return best.model;
}
C
# Headers for a machine without a libc: what the core calls.
cat > "$tmp/stub/string.h" << 'C'
#include <stddef.h>
void *memcpy(void *, const void *, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
int strcmp(const char *, const char *);
size_t strlen(const char *);
C
cat > "$tmp/stub/math.h" << 'C'
double exp(double);
float expf(float);
float logf(float);
float sqrtf(float);
float fabsf(float);
C
device="-Os -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -fno-unwind-tables -I. -DLOCUS_INFERENCE_ONLY
    -DLOCUS_NO_SIMD -DLOCUS_NO_STDIO -DLOCUS_NO_THREADS -DLOCUS_NO_MALLOC"
linked() { # COMPILER AND FLAGS: bytes of code and constants that are left, or -
    # shellcheck disable=SC2086
    if have "$1" && have ld.lld && have size && "$@" $device -c "$tmp/route.c" -o "$tmp/route.o" 2> "$tmp/log" &&
        ld.lld --gc-sections -e device --unresolved-symbols=ignore-all "$tmp/route.o" -o "$tmp/route.elf" 2> "$tmp/log"; then
        size -A "$tmp/route.elf" | awk '/^\.(text|rodata|data)/ {n += $2} END {print n}'
    else
        echo -
    fi
}
thumb="clang --target=thumbv7em-none-eabihf -mcpu=cortex-m4 -nostdlibinc -isystem $tmp/stub"
arm="arm-none-eabi-gcc -mthumb -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16 -isystem $tmp/stub"

# ---- the table

printf '%-58s %10s %10s %10s\n' "" 0.3.0 now limit
row "lines of locus.h" 17238 "$(wc -l < locus.h)" 10500 size
row "bytes" 817863 "$(wc -c < locus.h)" 520000 size
row "lines of the contract (>>api)" 1188 "$(contract | wc -l)" 800 size
row "public functions" 129 "$(contract | sed -n 's/^LOCUS_API [^(]*\(locus_[a-z0-9_]*\)(.*/\1/p' | sort -u | wc -l)" 90 size
row "statuses" 53 "$(contract | grep -cE '^    X\(LOCUS_')" 25 size
object=-
if have gcc; then
    gcc -std=c99 -O2 -x c -DLOCUS_IMPLEMENTATION -c locus.h -o "$tmp/whole.o" && object=$(size "$tmp/whole.o" | awk 'NR == 2 {print $1 + $2}')
fi
row "object, gcc -O2: bytes" 436000 "$object" 280000 size
row "route-only, linked, x86-64 gcc: bytes" 58000 "$(linked gcc)" 12288 size
row "    with the text encoder" - "$(linked gcc -DTEXT)" 14336 size
row "    with the set encoder, to add a model" - "$(linked gcc -DTEXT -DENCODER)" 32768 size
for cc in "$thumb" "$arm"; do
    row "route-only, linked, Thumb-2 ${cc%% *}: bytes" 50000 "$(linked $cc)" 12288 size
    row "    with the text encoder" - "$(linked $cc -DTEXT)" 14336 size
    row "    with the set encoder, to add a model" - "$(linked $cc -DTEXT -DENCODER)" 32768 size
done
stack=-
if have gcc && have nm; then
    linked gcc -DTEXT -fstack-usage > /dev/null && stack=$(nm "$tmp/route.elf" | awk 'NR == FNR {linked[$3]; next} {n = split($1, a, ":")} a[n] in linked && $2 > most {most = $2} END {print most}' - "$tmp/route.su")
fi
row "route-only, stack of any function on x86-64: bytes" 22600 "$stack" 4096 size
make -s build/test_compact > /dev/null 2>&1 &&
    LOCUS_TEST_VERBOSE=1 build/test_compact memory | sed -n 's/^  RAM of \([0-9]*\) models: \([0-9]*\) bytes/\1 \2/p' > "$tmp/ram"
row "route-only, RAM for 25 models beside the file: bytes" 269000 "$(awk '$1 == 25 {print $2}' "$tmp/ram" | grep . || echo -)" 24576 size
row "    112 models" 356000 "$(awk '$1 == 112 {print $2}' "$tmp/ram" | grep . || echo -)" 32768 size
whole=- core=-
if have gcc && [ -f "$tmp/old/locus.h" ]; then
    build() { seconds gcc -std=c99 -O2 -x c -DLOCUS_IMPLEMENTATION -DLOCUS_HEADER="\"$1/locus.h\"" "${@:2}" -c "$1/locus.h" -o "$tmp/timed.o"; }
    whole=$(ratio "$(build "$PWD")" "$(build "$tmp/old")")
    core=$(ratio "$(build "$PWD" -DLOCUS_INFERENCE_ONLY)" "$(build "$tmp/old" -DLOCUS_INFERENCE_ONLY)")
fi
row "time to compile, gcc -O2, 0.3.0 being 1" 1 "$whole" 0.5 time
row "    LOCUS_INFERENCE_ONLY" 1 "$core" 0.4 time
[ $strict = 0 ] || [ $beyond = 0 ]
