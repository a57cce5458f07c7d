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
# Everything in the caller's memory: parse, load, embed, pool, predict, route without a heap.
cat > "$tmp/noheap.c" << 'C'
#define LOCUS_NO_MALLOC
#define LOCUS_IMPLEMENTATION
#include "locus.h"
#include <stdio.h>
#include <string.h>
static unsigned char file[1 << 20], names[1 << 20], net_memory[1 << 20], pool_memory[1 << 20], work[1 << 22];
static locus_error err;
static int bad(const char *what)
{
    printf("%s: %s\n", what, err.message);
    return 1;
}
int main(int argc, char **argv)
{
    size_t bytes, i;
    FILE *in = argc > 1 ? fopen(argv[1], "rb") : NULL;
    locus_safetensors st;
    locus_net_opts opts;
    locus_net *net;
    locus_pool *pool;
    locus_evals e;
    locus_model m;
    locus_queries q;
    locus_choice c;
    float enc[3 * 8], y[3] = {0.0f, 1.0f, 1.0f}, z[16], logit;
    locus_run run;
    if (!in) return bad("no file");
    bytes = fread(file, 1, sizeof file, in);
    fclose(in);
    for (i = 0; i < 24; i++) enc[i] = (float)(i * 7 % 11) * 0.1f - 0.5f;
    memset(&opts, 0, sizeof opts);
    memset(&e, 0, sizeof e);
    memset(&m, 0, sizeof m);
    memset(&q, 0, sizeof q);
    if (locus_safetensors_parse(&st, file, bytes, NULL, 0, &err) != LOCUS_ERR_MEMORY) return bad("parse without memory");
    if (locus_safetensors_memory(file, bytes) > sizeof names) return bad("too small");
    if (locus_safetensors_parse(&st, file, bytes, names, locus_safetensors_memory(file, bytes), &err)) return bad("parse");
    opts.memory = net_memory;
    opts.memory_bytes = sizeof net_memory;
    if (locus_net_create(&net, &st, &opts, &err)) return bad("net");
    q.encodings = enc, q.count = 3, q.dim = 8;
    e.queries = q, e.models = 1, e.scores = y;
    memset(&run, 0, sizeof run);
    run.memory = work, run.memory_bytes = sizeof work;
    if (locus_encode(net, &e, z, LOCUS_ENCODE_AUTO, &run, &err)) return bad("encode");
    if (locus_pool_create(&pool, net, 2, "q", pool_memory, sizeof pool_memory, &err)) return bad("pool");
    strcpy(m.name, "only");
    m.available = 1;
    if (locus_pool_add(pool, &m, z, NULL, &err)) return bad("add");
    q.count = 1;
    if (locus_route(pool, &q, NULL, &c, &logit, work, sizeof work, &err)) return bad("route");
    // what would allocate says that there is no memory
    if (locus_pool_learn(pool, &e, NULL, NULL, &err) != LOCUS_ERR_MEMORY) return bad("memorize");
    if (locus_pool_calibrate(pool, &e, NULL, &err) != LOCUS_ERR_MEMORY) return bad("calibrate");
    {
        const locus_parallel *threads;
        locus_texts texts;
        locus_pool *other;
        locus_log *log;
        const char *text[2] = {"one text", "one text"};
        locus_text *encoder;
        if (locus_threads_create(&threads, 2, &err) != LOCUS_ERR_MEMORY) return bad("threads");
        if (locus_texts_parse(&texts, "{\"text\": \"a\"}", 13, NULL, &err) != LOCUS_ERR_MEMORY) return bad("texts");
        if (locus_text_train(&encoder, text, NULL, 2, NULL, NULL, &err) != LOCUS_ERR_MEMORY) return bad("text_train");
        if (locus_pool_resample(&other, pool, &e, NULL, &err) != LOCUS_ERR_MEMORY) return bad("resample");
        if (locus_pool_copy(&other, pool, &err) != LOCUS_ERR_MEMORY) return bad("copy");
        if (locus_log_create(&log, net, 4, 1, &err) != LOCUS_ERR_MEMORY) return bad("log");
    }
    if (c.model != 0 || !(c.probability > 0.0f && c.probability < 1.0f)) return bad("choice");
    locus_pool_destroy(pool);
    locus_net_destroy(net);
    locus_safetensors_close(&st);
    return 0;
}
C
# What -ffast-math must not change: options that are no numbers are refused, missing scores are missing.
cat > "$tmp/fast.c" << 'C'
#define LOCUS_IMPLEMENTATION
#include "locus.h"
#include <stdio.h>
#include <string.h>
static unsigned char work[1 << 22];
static locus_error err;
static int failures;
static double from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static void expect(int line, locus_status expected, locus_status found)
{
    if (expected == found) return;
    printf("line %d: expected %s, found %s %s\n", line, locus_status_name(expected), locus_status_name(found), err.message);
    failures++;
}
#define EXPECT(expected, call) expect(__LINE__, expected, call)
#define REFUSED(call) EXPECT(LOCUS_ERR_ARGUMENT, call)
int main(int argc, char **argv)
{
    static const uint64_t not_a_number[3] = {0x7ff8000000000000u, 0xfff8000000000000u, 0x7ff0000000000000u};
    locus_net *net;
    locus_pool *pool;
    locus_evals e;
    locus_model m;
    float enc[40 * 8], y[2 * 40], missing, logits[40 * 2], cost[2] = {1.0f, 2.0f}, profiles[2 * 8];
    unsigned char answers[16];
    locus_choice out[40];
    locus_metrics metrics;
    locus_scores scores;
    locus_frontier frontier;
    locus_frontier_point at[64];
    locus_zero_corner zero[66];
    locus_single single[2];
    size_t i, k, picks[4];
    const uint32_t missing_bits = 0x7fc00000u;
    const double million = 1e6;
    if (argc < 2 || locus_net_open(&net, argv[1], NULL, &err) || locus_pool_create(&pool, net, 2, NULL, NULL, 0, &err))
        return printf("%s\n", err.message), 1;
    memcpy(&missing, &missing_bits, sizeof missing);
    for (i = 0; i < 40 * 8; i++) enc[i] = (float)(i * 37 % 101) * 0.02f - 1.0f;
    for (i = 0; i < 80; i++) y[i] = i % 5 == 4 ? missing : (float)(i % 3 == 0), logits[i] = (float)(i % 7) - 3.0f;
    for (i = 0; i < 16; i++) profiles[i] = 0.05f * (float)i, answers[i] = (unsigned char)(i % 2);
    memset(&e, 0, sizeof e), memset(&m, 0, sizeof m), memset(&scores, 0, sizeof scores);
    e.queries.encodings = enc, e.queries.count = 40, e.queries.dim = 8, e.models = 2, e.scores = y;
    scores.models = 2, scores.stride = 40, scores.scores = y;
    {
        float z[2 * 16], one[2 * 32], kept[32 * 8], again[16];
        EXPECT(LOCUS_OK, locus_encode(net, &e, z, LOCUS_ENCODE_AUTO, NULL, &err));
        for (i = k = 0; i < 40; i++)
            if (i % 5 != 4) memcpy(kept + 8 * k, enc + 8 * i, 8 * sizeof *enc), one[k++] = y[i];
        e.queries.encodings = kept, e.queries.count = 32, e.models = 1, e.scores = one;
        EXPECT(LOCUS_OK, locus_encode(net, &e, again, LOCUS_ENCODE_AUTO, NULL, &err));
        for (i = 0; i < 16; i++)
            if (z[i] - again[i] > 1e-4f || again[i] - z[i] > 1e-4f) failures++, printf("a missing score counts\n");
        for (i = 0; i < 2; i++) {
            m.name[0] = (char)('a' + i), m.available = 1;
            EXPECT(LOCUS_OK, locus_pool_add(pool, &m, z + 16 * i, NULL, &err));
        }
        e.queries.encodings = enc, e.queries.count = 40, e.models = 2, e.scores = y;
    }
    EXPECT(LOCUS_OK, locus_pool_learn(pool, &e, NULL, NULL, &err));
    EXPECT(LOCUS_OK, locus_pool_calibrate(pool, &e, NULL, &err));
    EXPECT(LOCUS_OK, locus_rank(pool, logits, 40, NULL, out, &err));
    EXPECT(LOCUS_OK, locus_metrics_compute(&metrics, logits, 40, &scores, NULL, work, sizeof work, &err));
    if (metrics.pairs != 64) failures++, printf("%d pairs of 64\n", (int)metrics.pairs);
    for (k = 0; k < 3; k++) {
        const double x = from_bits(not_a_number[k]);
        const locus_points p = {profiles, 2, 8, 0};
        locus_route_opts o;
        locus_learn_opts learn;
        locus_portfolio_opts portfolio;
        locus_portfolio chosen;
        locus_compare_opts compare;
        locus_comparison both;
        locus_watch watch;
        locus_train_data data;
        locus_train_opts train;
        locus_trainer *trainer;
        const locus_price prices[2] = {{x, 1.0, 0.0}, {1.0, 1.0, 0.0}};
        const locus_tokens tokens = {&million, &million, 0, 0};
        const locus_tradeoff tradeoffs[4] = {{1.0, 0.5}, {x, 0.9}, {2.0, x}, {3.0, 0.8}};
        locus_frontier_opts quality;
        locus_interval range;
        uint64_t bits;
        size_t rows[40];
        double lambda, dear[2] = {2.0, 1.0}, two[2] = {0.0, 0.0};
        float keep = logits[6];
        memset(&o, 0, sizeof o), o.lambda = x, REFUSED(locus_rank(pool, logits, 40, &o, out, &err));
        memset(&o, 0, sizeof o), o.margin = x, REFUSED(locus_rank(pool, logits, 40, &o, out, &err));
        memset(&o, 0, sizeof o), o.max_cost = x, REFUSED(locus_rank(pool, logits, 40, &o, out, &err));
        REFUSED(locus_lambda_for_budget(pool, logits, 40, x, NULL, &lambda, NULL, &err));
        REFUSED(locus_pool_set_guard(pool, 0, x, &err));
        memset(&o, 0, sizeof o), o.cost = dear, dear[0] = x, o.max_cost = 10.0; // NaN is unknown, infinity wrong
        EXPECT(k == 2 ? LOCUS_ERR_ARGUMENT : LOCUS_OK, locus_rank(pool, logits, 40, &o, out, &err));
        EXPECT(k == 2 ? LOCUS_ERR_ARGUMENT : LOCUS_OK, locus_lambda_for_budget(pool, logits, 40, 1.0, &o, &lambda, NULL, &err));
        for (i = 0; k < 2 && i < 40; i++)
            if (out[i].model != 1) failures++, printf("an unknown cost passes for a low one\n");
        EXPECT(k == 2 ? LOCUS_ERR_ARGUMENT : LOCUS_OK, locus_price_costs(prices, 2, &tokens, 1, two, &err));
        memcpy(&bits, two, sizeof bits);
        if (k < 2 && (bits << 1) <= 0xffe0000000000000u) failures++, printf("an unknown price makes a cost\n");
        two[0] = x, two[1] = 0.0, REFUSED(locus_paired_difference(two, dear + 1, 1, 0.0, 10, 0, &range, &err));
        REFUSED(locus_paired_difference(dear + 1, dear + 1, 1, x, 10, 0, &range, &err));
        if (k < 2 && (locus_hull(tradeoffs, 4, picks) != 2 || picks[0] != 0 || picks[1] != 3)) failures++, printf("a corner that is no number\n");
        memset(&quality, 0, sizeof quality), quality.rules = &o, dear[0] = 2.0, quality.level = x, quality.resamples = 20;
        REFUSED(locus_frontier_compute(&frontier, at, zero, single, logits, 40, &scores, &quality, &err));
        quality.level = 0.0, quality.means = two, two[0] = k == 2 ? 0.5 : x, two[1] = 0.5; // NaN: a mean that nobody knows
        EXPECT(LOCUS_OK, locus_frontier_compute(&frontier, at, zero, single, logits, 40, &scores, &quality, &err));
        REFUSED(locus_pool_set_recall(pool, x, &err));
        memset(&learn, 0, sizeof learn), learn.recall_weight = x, REFUSED(locus_pool_learn(pool, &e, &learn, NULL, &err));
        memset(&portfolio, 0, sizeof portfolio), portfolio.cost = cost, portfolio.budget = x;
        REFUSED(locus_portfolio_choose(&p, &portfolio, picks, NULL, &chosen, NULL, &err));
        portfolio.budget = 0.0, portfolio.lambda = x;
        REFUSED(locus_portfolio_choose(&p, &portfolio, picks, NULL, &chosen, NULL, &err));
        memset(&compare, 0, sizeof compare), compare.level = x, REFUSED(locus_compare(pool, 0, 1, NULL, &compare, &both, NULL, &err));
        compare.level = 0.0, compare.correlation = x, REFUSED(locus_compare(pool, 0, 1, NULL, &compare, &both, NULL, &err));
        REFUSED(locus_same_answers(profiles, profiles, answers, answers, 8, x, &lambda, NULL, NULL, work, sizeof work, &err));
        REFUSED(locus_answer_correlation(&p, answers, x, &lambda, work, sizeof work, &err));
        memset(&watch, 0, sizeof watch);
        (void)locus_watch_add(&watch, x, 1.0), (void)locus_watch_add(&watch, 0.5, x);
        if (watch.answers) failures++, printf("an answer that is no number counts\n");
        for (i = 0; i < 40; i++) rows[i] = i;
        memset(&data, 0, sizeof data);
        data.evals = e, data.train = rows, data.train_count = 40;
        for (i = 0; i < 7; i++) {
            memset(&train, 0, sizeof train);
            *(i == 0 ? &train.encoder_rate : i == 1 ? &train.predictor_rate : i == 2 ? &train.weight_decay : i == 3 ? &train.noise : i == 4 ? &train.dropout : i == 5 ? &train.average : &train.seen) = x;
            REFUSED(locus_train_create(&trainer, &data, &train, NULL, &err));
        }
        if (k == 2) break;
        logits[6] = k ? -missing : missing;
        EXPECT(LOCUS_ERR_NONFINITE_INPUT, locus_rank(pool, logits, 40, NULL, out, &err));
        EXPECT(LOCUS_ERR_NONFINITE_INPUT, locus_lambda_for_budget(pool, logits, 40, 1.0, NULL, &lambda, NULL, &err));
        memset(&o, 0, sizeof o), o.cost = dear, quality.means = NULL;
        EXPECT(LOCUS_ERR_NONFINITE_INPUT, locus_frontier_compute(&frontier, at, zero, single, logits, 40, &scores, &quality, &err));
        EXPECT(LOCUS_ERR_NONFINITE_INPUT, locus_metrics_compute(&metrics, logits, 40, &scores, NULL, work, sizeof work, &err));
        logits[6] = keep;
    }
    return failures != 0;
}
C
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

# ---------------------------------------------------------------------------------------------------- warnings

for cc in gcc clang; do
    have $cc || { skip "$cc is not installed"; continue; }
    for std in c99 c11 c17 c2x gnu99; do
        try "$cc -std=$std -O0: no warning" "$cc -std=$std $warn -O0 $in -c $tmp/impl.c -o $tmp/$cc-$std.o"
        try "$cc -std=$std declarations alone: no warning, -Wsign-conversion too" \
            "$cc -std=$std $warn -Wsign-conversion -Wundef -Wcast-align -Wdouble-promotion -Wstrict-prototypes $in -c $tmp/decl.c -o $tmp/d-$cc-$std.o"
    done
    for opt in "-O2" "-O3" "-Os" "-O2 -march=native" "-O1 -mavx" "-O1 -mavx2 -mfma" "-O2 -mavx512f -mavx512dq -mavx512bw -mavx512vl" "-O1 -flto" "-Og -g" "-O1 -fPIC -fvisibility=hidden"; do
        case "$opt" in *-m*) [ "$(uname -m)" = x86_64 ] || continue ;; esac
        case "$full $cc $opt" in "0 clang -O2" | "0 clang -O2 -mavx512"* | "1 "* | "0 gcc "*) ;; *) continue ;; esac
        try "$cc -std=c99 $opt: no warning" "$cc -std=c99 $warn $opt $in -c $tmp/impl.c -o $tmp/$cc-${opt// /}.o"
    done
    try "$cc with a picky user's flags: no warning" \
        "$cc -std=c99 $warn -Wsign-conversion -Wundef -Wcast-align -Wdouble-promotion -Wvla -Wstrict-prototypes -Wpointer-arith -Wwrite-strings -O1 $in -c $tmp/impl.c -o $tmp/picky-$cc.o"
done
for cc in g++ clang++; do
    have $cc || { skip "$cc is not installed"; continue; }
    for std in c++17 c++20 gnu++17; do
        try "$cc -std=$std -O0: no warning" "$cc -std=$std $warn -O0 $in -c $tmp/impl.cpp -o $tmp/$cc-$std.o"
        try "$cc -std=$std declarations alone: no warning, -Wsign-conversion too" \
            "$cc -std=$std $warn -Wsign-conversion -Wundef -Wcast-align -Wdouble-promotion $in -c $tmp/decl.cpp -o $tmp/d-$cc-$std.o"
    done
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
    for a in $macros STATIC; do
        try "$cc LOCUS_$a: no warning" "$cc -std=c99 $warn -O0 -DLOCUS_$a $in -c $tmp/impl.c -o $tmp/m-$cc-$a.o"
    done
    all=$(for a in $macros; do printf -- '-DLOCUS_%s ' "$a"; done)
    try "$cc all LOCUS_ macros but LOCUS_INFERENCE_ONLY: no warning" "$cc -std=c99 $warn -O2 ${all/-DLOCUS_INFERENCE_ONLY/} $in -c $tmp/impl.c -o $tmp/m-$cc-most.o"
    try "$cc all LOCUS_ macros together: no warning" "$cc -std=c99 $warn -O2 $all $in -c $tmp/impl.c -o $tmp/m-$cc-all.o"
    try "$cc all LOCUS_ macros and LOCUS_STATIC: no warning" "$cc -std=c99 $warn -O0 -DLOCUS_STATIC $all $in -c $tmp/impl.c -o $tmp/m-$cc-alls.o"
done
if have gcc; then
    for a in $macros; do
        for b in $macros; do
            [[ $a < $b ]] || continue
            try "gcc LOCUS_$a with LOCUS_$b: no warning" "gcc -std=c99 $warn -O0 -DLOCUS_$a -DLOCUS_$b $in -c $tmp/impl.c -o $tmp/m2-$a-$b.o"
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
    for o in "$tmp"/gcc-c99.o "$tmp"/clang-c99.o "$tmp"/g++-c++17.o "$tmp"/clang++-c++17.o "$tmp"/gcc--O2.o; do
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
            router_open router_route router_route_text router_set_available router_set_cost rule_name status_name status_text version \
            > "$tmp/compact.list"
        try "$cc LOCUS_INFERENCE_ONLY: these functions and no others" "diff $tmp/compact.list $tmp/m-$cc-INFERENCE_ONLY.o.def"
        try "$cc LOCUS_INFERENCE_ONLY with all others: no heap, no files, no threads" \
            "! nm -u $tmp/m-$cc-all.o | awk '{print \$NF}' | grep -vE '^(mem(cpy|move|set|cmp)|bcmp|str(len|cmp)|expf?|logf|sqrtf?|fabsf?|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail)\$'"
        try "$cc LOCUS_NO_TRAIN: no training, in the plain build there is" \
            "none $tmp/m-$cc-NO_TRAIN.o.def '^locus_train' && grep -q '^locus_train_run\$' $tmp/$cc-c99.o.def && ! nm $tmp/m-$cc-NO_TRAIN.o | grep 'locusi*_train'"
        explore='^locus_(pool_calibrate|reliability|profiles|distances|neighbours|cluster|medoids|centers|portfolio|pool_resample|interval|compare|same_|answer_|watch|next|complete|explain|log|pool_copy)'
        try "$cc LOCUS_NO_EXPLORE: nothing of it, in the plain build there is" \
            "none $tmp/m-$cc-NO_EXPLORE.o.def '$explore' && [ \$(grep -cE '$explore' $tmp/$cc-c99.o.def) -gt 40 ] && grep -q '^locus_train_run\$' $tmp/m-$cc-NO_EXPLORE.o.def && grep -q '^locus_pool_calibration\$' $tmp/m-$cc-NO_EXPLORE.o.def"
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
    try "$cc included twice, before and after the implementation" "$cc -std=c99 $warn -O0 $in -c $tmp/twice.c -o $tmp/twice-$cc.o"
    try "$cc after the system's headers, -std=c99" "$cc -std=c99 $warn -O0 $in -c $tmp/after.c -o $tmp/after-$cc.o"
    try "$cc after the system's headers, gnu mode" "$cc $warn -O0 $in -c $tmp/after.c -o $tmp/after2-$cc.o"
    try "$cc after the system's headers, _GNU_SOURCE" "$cc -D_GNU_SOURCE -std=c11 $warn -O0 $in -c $tmp/after.c -o $tmp/after3-$cc.o"
    try "$cc before the system's headers" "$cc -std=c99 $warn -O0 $in -c $tmp/before.c -o $tmp/before-$cc.o"
    [ "$(uname -m)" = x86_64 ] && try "$cc after immintrin.h" "$cc -std=c99 $warn -O0 $in -c $tmp/intrin.c -o $tmp/intrin-$cc.o"
    try "$cc plain one-file program" "$cc -O2 $in $tmp/one.c -o $tmp/one-$cc -lm && [ \"\$($tmp/one-$cc | cut -d' ' -f1)\" = \"\$(bash $tmp/best)\" ]"
    try "$cc several translation units" "$cc -O0 $in $tmp/app.c $tmp/second.c $tmp/impl.c -o $tmp/several-$cc -lm && $tmp/several-$cc"
    try "$cc LOCUS_STATIC in two units" "$cc -O0 $in $tmp/static1.c $tmp/static2.c -o $tmp/static-$cc -lm && $tmp/static-$cc"
    try "$cc under another file name" "$cc -O2 -I$tmp/renamed $tmp/renamed/main.c -o $tmp/renamed-$cc -lm && $tmp/renamed-$cc"
    try "$cc without a heap, all in static memory" "$cc -O2 -Wall -Werror $in $tmp/noheap.c -o $tmp/noheap-$cc -lm && $tmp/noheap-$cc $root/tests/golden/tiny/model.safetensors"
    try "$cc LOCUS_INFERENCE_ONLY routes and embeds as the library does" "$cc -O2 $warn $root/tests/test_compact.c $root/tests/compact.c -o $tmp/compact-$cc -lm -lpthread && cd $root && LOCUS_TEST_TMP=$tmp LOCUS_TEST_QUICK=1 $tmp/compact-$cc"
    try "$cc the first example, in the route-only build too" "for only in '' -DLOCUS_INFERENCE_ONLY; do $cc -O2 -Wall -Wextra -Werror \$only $in $tmp/example.c -o $tmp/first-$cc -lm && $tmp/first-$cc $root/examples/data/router.safetensors 'Who?' | grep '^[^ ].*%)\$' || exit 1; done"
    for flag in -ffast-math $([ $full = 1 ] && echo -Ofast); do
        try "$cc $flag: what is no number is refused" "$cc -std=c99 ${flag/-ffast/-O2 -ffast} $in $tmp/fast.c -o $tmp/fast$flag-$cc -lm -lpthread && timeout 60 $tmp/fast$flag-$cc $root/tests/golden/tiny/model.safetensors"
    done
    try "$cc the header's own example" "[ \$(wc -l < $tmp/example.c) -gt 10 ] && $cc -O2 -Wall -Wextra -Werror $in $tmp/example.c -o $tmp/example-$cc -lm"
    have $cxx || continue
    try "$cxx included twice" "$cxx -std=c++17 $warn -O0 $in -c $tmp/twice.cpp -o $tmp/twice-$cxx.o"
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
    "0 suite train: "*-O0 | "0 suite train: clang -O2" | "0 suite train: LOCUS_NO_SIMD") ;;
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
    have g++ && suite "suite $which: g++ -std=c++17" "g++ -x c++ -std=c++17 $warn -O2 $test -o OUT -lm -lpthread"
    have clang++ && suite "suite $which: clang++ -std=c++20" "clang++ -x c++ -std=c++20 $warn -O2 $test -o OUT -lm -lpthread"
    have gcc && suite "suite $which: LOCUS_NO_SIMD" "gcc -std=c99 -O2 -DLOCUS_NO_SIMD $test -o OUT -lm -lpthread"
    have gcc && suite "suite $which: LOCUS_NO_THREADS" "gcc -std=c99 $warn -O2 -DLOCUS_NO_THREADS $test -o OUT -lm"
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
        [ $which = core ] && try "$name: no warning" "$compiler -std=c99 $warn $flags -O2 $in -c $tmp/impl.c -o $tmp/cross-$name.o"
        suite "suite $which: $name" "$compiler -std=c99 -O2 $flags $test -o OUT -lm -lpthread" "$runner" 1500
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
