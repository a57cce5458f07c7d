// SPDX-License-Identifier: MIT
// What the benchmarks share: clocks, random input, this machine's fp32 peak. Included after locus.h.
#ifndef MEASURE_H
#define MEASURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__)) && !defined(LOCUS_NO_SIMD)
#define BENCH_X86 1
#include <immintrin.h>
#elif defined(__aarch64__) && !defined(LOCUS_NO_SIMD)
#define BENCH_NEON 1
#include <arm_neon.h>
#endif

// ------------------------------------------------------------------------------------------------------------ helpers

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double cpu_now(void) // of all threads of this process
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

static void *allocate(size_t bytes)
{
    void *p = malloc(bytes ? bytes : 1);
    if (!p) die("memory", "not enough for this benchmark");
    return p;
}

static void check(locus_status status, const locus_error *err)
{
    if (status) die(locus_status_name(status), err->message);
}

static void cpu_name(char *out, size_t size)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];
    snprintf(out, size, "unknown processor");
    while (f && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (colon && strncmp(line, "model name", 10) == 0) {
            snprintf(out, size, "%s", colon + 2);
            out[strcspn(out, "\n")] = '\0';
            break;
        }
    }
    if (f) fclose(f);
}

static uint64_t random_state = 0x9E3779B97F4A7C15u;

static uint32_t random_u32(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 32);
}

static float random_uniform(float range) // in (-range, range)
{
    return range * ((float)(random_u32() >> 8) * (1.0f / 8388608.0f) - 1.0f);
}

static size_t peak_rss_kb(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
#if defined(__APPLE__)
    return (size_t)usage.ru_maxrss / 1024;
#else
    return (size_t)usage.ru_maxrss;
#endif
}

// ------------------------------------------------------------------- peak: multiply-adds on registers and nothing else

// clang-format off
static volatile float peak_sink, peak_source = 1.0f; // no value is known to the compiler

#define PEAK_12(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)

#if defined(BENCH_X86)
__attribute__((target("avx512f"))) static double peak_avx512(size_t rounds)
{
    const __m512 a = _mm512_set1_ps(0.999f * peak_source), b = _mm512_set1_ps(0.002f * peak_source);
#define X(i) __m512 v##i = _mm512_set1_ps((float)(i) * peak_source);
    PEAK_12(X)
#undef X
    for (size_t k = 0; k < rounds; k++) {
#define X(i) v##i = _mm512_fmadd_ps(v##i, a, b);
        PEAK_12(X)
        PEAK_12(X)
#undef X
    }
    __m512 sum = _mm512_setzero_ps();
    float out[16];
#define X(i) sum = _mm512_add_ps(sum, v##i);
    PEAK_12(X)
#undef X
    _mm512_storeu_ps(out, sum);
    peak_sink = out[0];
    return (double)rounds * 24.0 * 16.0 * 2.0;
}

__attribute__((target("avx2,fma"))) static double peak_avx2(size_t rounds)
{
    const __m256 a = _mm256_set1_ps(0.999f * peak_source), b = _mm256_set1_ps(0.002f * peak_source);
#define X(i) __m256 v##i = _mm256_set1_ps((float)(i) * peak_source);
    PEAK_12(X)
#undef X
    for (size_t k = 0; k < rounds; k++) {
#define X(i) v##i = _mm256_fmadd_ps(v##i, a, b);
        PEAK_12(X)
        PEAK_12(X)
#undef X
    }
    __m256 sum = _mm256_setzero_ps();
    float out[8];
#define X(i) sum = _mm256_add_ps(sum, v##i);
    PEAK_12(X)
#undef X
    _mm256_storeu_ps(out, sum);
    peak_sink = out[0];
    return (double)rounds * 24.0 * 8.0 * 2.0;
}
#endif

#if defined(BENCH_NEON)
#define PEAK_16(X) PEAK_12(X) X(12) X(13) X(14) X(15)

static double peak_neon(size_t rounds)
{
    const float32x4_t a = vdupq_n_f32(0.999f * peak_source), b = vdupq_n_f32(0.002f * peak_source);
    // vfmaq_f32 accumulates into its first argument: v + a * b stays in place
#define X(i) float32x4_t v##i = vdupq_n_f32((float)(i) * peak_source);
    PEAK_16(X)
#undef X
    for (size_t k = 0; k < rounds; k++) {
#define X(i) v##i = vfmaq_f32(v##i, a, b);
        PEAK_16(X)
#undef X
    }
    float32x4_t sum = vdupq_n_f32(0.0f);
#define X(i) sum = vaddq_f32(sum, v##i);
    PEAK_16(X)
#undef X
    peak_sink = vgetq_lane_f32(sum, 0);
    return (double)rounds * 16.0 * 4.0 * 2.0;
}
#endif

// Without multiply-add instructions: a multiplication, then an addition.
#if defined(BENCH_X86) && defined(__SSE2__)
static double peak_scalar(size_t rounds) // what compilers may make of portable C on any x86-64
{
    const __m128 a = _mm_set1_ps(0.999f * peak_source), b = _mm_set1_ps(0.002f * peak_source);
#define X(i) __m128 v##i = _mm_set1_ps((float)(i) * peak_source);
    PEAK_12(X)
#undef X
    for (size_t k = 0; k < rounds; k++) {
#define X(i) v##i = _mm_add_ps(_mm_mul_ps(v##i, a), b);
        PEAK_12(X)
        PEAK_12(X)
#undef X
    }
    __m128 sum = _mm_setzero_ps();
#define X(i) sum = _mm_add_ps(sum, v##i);
    PEAK_12(X)
#undef X
    peak_sink = _mm_cvtss_f32(sum);
    return (double)rounds * 24.0 * 4.0 * 2.0;
}
#else
static double peak_scalar(size_t rounds)
{
    const float a = 0.999f * peak_source, b = 0.002f * peak_source;
    float v[64];
    for (size_t i = 0; i < 64; i++) v[i] = (float)i;
    for (size_t k = 0; k < rounds; k++) {
        for (size_t i = 0; i < 64; i++) v[i] = v[i] * a + b;
    }
    for (size_t i = 1; i < 64; i++) v[0] += v[i];
    peak_sink = v[0];
    return (double)rounds * 64.0 * 2.0;
}
#endif

// clang-format on

typedef struct peak_job {
    locus_isa isa;
    size_t rounds;
    double flop[64];
} peak_job;

static void peak_task(void *arg, size_t index)
{
    peak_job *job = (peak_job *)arg;
    double flop;
    switch (job->isa) {
#if defined(BENCH_X86)
    case LOCUS_ISA_AVX512: flop = peak_avx512(job->rounds); break;
    case LOCUS_ISA_AVX2: flop = peak_avx2(job->rounds); break;
#endif
#if defined(BENCH_NEON)
    case LOCUS_ISA_NEON: flop = peak_neon(job->rounds); break;
#endif
    case LOCUS_ISA_AUTO:
    case LOCUS_ISA_SCALAR:
#if !defined(BENCH_X86)
    case LOCUS_ISA_AVX512:
    case LOCUS_ISA_AVX2:
#endif
#if !defined(BENCH_NEON)
    case LOCUS_ISA_NEON:
#endif
    case LOCUS_ISA_COUNT:
    default: flop = peak_scalar(job->rounds); break;
    }
    if (index < 64) job->flop[index] = flop;
}

// FLOP/s, the best of some slices of a few milliseconds.
static double measure_peak(locus_isa isa, const locus_parallel *parallel)
{
    peak_job job;
    size_t threads = parallel ? parallel->threads : 1;
    double best = 0.0;
    memset(&job, 0, sizeof job);
    job.isa = isa;
    job.rounds = isa == LOCUS_ISA_SCALAR ? 500000 : 1500000;
    if (threads > 64) threads = 64;
    for (int slice = 0; slice < 3; slice++) {
        double flop = 0.0, start = now(), seconds;
        if (parallel) {
            parallel->run(parallel->user, peak_task, &job, threads);
        } else {
            peak_task(&job, 0);
        }
        seconds = now() - start;
        for (size_t i = 0; i < threads; i++) flop += job.flop[i];
        if (flop / seconds > best) best = flop / seconds;
    }
    return best;
}

#endif // MEASURE_H
