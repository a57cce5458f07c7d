// SPDX-License-Identifier: MIT
// Exploring the whole field: time and memory of what compares all models with all, against n, next to the machine's
// limits. Prints a markdown table.
//
//     cc -O2 bench/bench_scale.c -o build/bench_scale -lm -lpthread && build/bench_scale [--quick] [--n N] [--only
//     WORD]
//
// --quick: 2,000 and 5,000 models instead of 10,000 to 300,000. --n: this many and no other. --only: the rows whose
// name has WORD in it. --threads T: default, as many as processors. Nothing else should run meanwhile.
//
// The models: 128 numbers each, in 2,000 families of unequal size; one in twenty is a near copy of an earlier one.
// Rates count the multiply-adds of the distances that the method looks at (two operations each), or the bytes of the
// embeddings that it reads, and nothing else. Limits: multiply-adds on registers alone, and adding up 256 MiB, with as
// many threads, measured before and after each row (the greatest counts: others only slow a machine down).
#if !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#if !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1
#endif
#if defined(__APPLE__) && !defined(_DARWIN_C_SOURCE)
#define _DARWIN_C_SOURCE 1
#endif

#define LOCUS_IMPLEMENTATION
#include "../locus.h"

#include <math.h>

#include "measure.h"

enum { DIM = 128, FAMILIES = 2000, NEAREST = 10, PICKS = 100 };

typedef struct bench {
    const locus_parallel *parallel;
    locus_isa isa;
    const char *only;
    float *rows, *stream;
    size_t n;
} bench;

// ---- limits

enum { STREAM_FLOATS = 64 * 1024 * 1024 };

typedef struct stream_job {
    const float *data;
    size_t threads;
    double sum[64];
} stream_job;

static void stream_task(void *arg, size_t index)
{
    stream_job *job = (stream_job *)arg;
    const size_t part = STREAM_FLOATS / job->threads;
    const float *x = job->data + index * part;
    float sum[32] = {0};
    for (size_t i = 0; i + 32 <= part; i += 32) {
        for (size_t j = 0; j < 32; j++) sum[j] += x[i + j];
    }
    job->sum[index] = (double)sum[0];
}

static double bytes_per_second(const bench *b)
{
    stream_job job;
    double best = 0.0;
    job.data = b->stream;
    job.threads = b->parallel->threads < 64 ? b->parallel->threads : 64;
    for (int i = 0; i < 3; i++) {
        const double start = now();
        b->parallel->run(b->parallel->user, stream_task, &job, job.threads);
        const double rate = 4.0 * STREAM_FLOATS / (now() - start);
        if (rate > best) best = rate;
    }
    return best;
}

// ---- the models

static float normal(void)
{
    const double u = ((double)random_u32() + 1.0) / 4294967297.0, v = (double)random_u32() / 4294967296.0;
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

static void make_models(bench *b)
{
    float *family = allocate((size_t)FAMILIES * DIM * sizeof(float));
    random_state = 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < (size_t)FAMILIES * DIM; i++) family[i] = normal();
    for (size_t i = 0; i < b->n; i++) {
        float *row = b->rows + i * DIM;
        const double u = fabs((double)random_uniform(1.0f));
        const float *from = family + (size_t)(u * u * FAMILIES) * DIM;
        const int copy = i > 0 && random_u32() % 20 == 0;
        if (copy) from = b->rows + random_u32() % i * DIM;
        for (size_t j = 0; j < DIM; j++) row[j] = from[j] + (copy ? 1e-3f : 0.3f) * normal();
    }
    free(family);
}

// ---- the table

typedef struct result {
    double seconds, cpu, work; // operations or bytes
    char note[128];
} result;

static void print_head(void)
{
    printf("| what | models | time | processor time | rate | limit | of it | |\n");
    printf("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n");
}

// flop: the rate is operations, not bytes
static void print_row(const bench *b, const char *what, const result *r, int flop, double limit)
{
    printf("| %s | %zu | %.2f s | %.2f s | %.1f %s/s | %.1f | %.0f %% | %s |\n", what, b->n, r->seconds, r->cpu,
           r->work / r->seconds / 1e9, flop ? "GFLOP" : "GB", limit / 1e9, 100.0 * r->work / r->seconds / limit,
           r->note);
    fflush(stdout);
}

static void bench_neighbours(const bench *b, const locus_points *p, const locus_run *run, size_t k, result *r)
{
    locus_neighbour *out = allocate(b->n * k * sizeof *out);
    size_t below = 0;
    locus_error err;
    r->seconds = now(), r->cpu = cpu_now();
    check(locus_neighbours(p, NULL, LOCUS_COSINE, NULL, k, out, run, &err), &err);
    r->seconds = now() - r->seconds, r->cpu = cpu_now() - r->cpu;
    r->work = 2.0 * (double)b->n * (double)b->n * DIM;
    for (size_t i = 0; i < b->n; i++) below += out[i * k].distance < 1e-5f;
    if (k == 1) snprintf(r->note, sizeof r->note, "%zu models have another at less than 1e-5", below);
    free(out);
}

static void bench_tree(const bench *b, const locus_points *p, const locus_run *run, locus_linkage linkage, result *r)
{
    locus_merge *out = allocate(b->n * sizeof *out);
    locus_error err;
    r->seconds = now(), r->cpu = cpu_now();
    check(locus_cluster(p, LOCUS_COSINE, linkage, out, run, &err), &err);
    r->seconds = now() - r->seconds, r->cpu = cpu_now() - r->cpu;
    r->work = 2.0 * (double)b->n * (double)b->n * DIM;
    snprintf(r->note, sizeof r->note, "the rate counts the distances alone, not the chain");
    free(out);
}

static void bench_centers(const bench *b, const locus_points *p, const locus_run *run, result *r)
{
    size_t picks[PICKS];
    float radius[PICKS];
    locus_error err;
    r->seconds = now(), r->cpu = cpu_now();
    check(locus_centers(p, LOCUS_COSINE, NULL, PICKS, picks, radius, run, &err), &err);
    r->seconds = now() - r->seconds, r->cpu = cpu_now() - r->cpu;
    r->work = (double)PICKS * (double)b->n * DIM * 4.0;
    snprintf(r->note, sizeof r->note, "largest distance %.3f, then %.3f", (double)radius[0], (double)radius[PICKS - 1]);
}

// Profiles of few factors, made from the embeddings' first numbers: a model is good at what its family is good at.
static void bench_portfolio(const bench *b, const locus_run *run, result *r)
{
    enum { QUERIES = 1000, FACTORS = 8 };
    locus_points p;
    locus_portfolio_opts o;
    locus_portfolio found;
    locus_error err;
    size_t picks[PICKS];
    float factor[QUERIES][FACTORS], *profiles = allocate(b->n * QUERIES * sizeof *profiles);
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t f = 0; f < FACTORS; f++) factor[q][f] = random_uniform(1.0f);
    for (size_t m = 0; m < b->n; m++)
        for (size_t q = 0; q < QUERIES; q++) {
            float x = 0.0f;
            for (size_t f = 0; f < FACTORS; f++) x += factor[q][f] * b->rows[m * DIM + f];
            profiles[m * QUERIES + q] = 0.5f + 0.5f * x / (1.0f + fabsf(x));
        }
    memset(&p, 0, sizeof p);
    memset(&o, 0, sizeof o);
    p.rows = profiles;
    p.count = b->n;
    p.dim = QUERIES;
    o.count = PICKS;
    r->seconds = now(), r->cpu = cpu_now();
    check(locus_portfolio_choose(&p, &o, picks, NULL, &found, run, &err), &err);
    r->seconds = now() - r->seconds, r->cpu = cpu_now() - r->cpu;
    r->work = (double)b->n * QUERIES * 4.0; // one reading of the profiles
    snprintf(r->note, sizeof r->note, "value %.5f, bound %.5f; the rate counts one reading of the profiles",
             found.value, found.bound);
    free(profiles);
}

static int wanted(const bench *b, const char *what) { return !b->only || strstr(what, b->only) != NULL; }

static void bench_one(bench *b)
{
    static const char *const names[] = {"k-center of 100", "10 nearest of every model", "duplicates (below 1e-5)",
                                        "average-linkage tree", "single-linkage tree"};
    locus_points p;
    locus_run run;
    memset(&p, 0, sizeof p);
    memset(&run, 0, sizeof run);
    p.rows = b->rows;
    p.count = b->n;
    p.dim = DIM;
    run.parallel = b->parallel;
    make_models(b);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        result r;
        double limit, after;
        memset(&r, 0, sizeof r);
        if (!wanted(b, names[i]) || (i > 2 && b->n > 20000)) continue; // 4 n^2 bytes
        limit = i ? measure_peak(b->isa, b->parallel) : bytes_per_second(b);
        if (i == 0) bench_centers(b, &p, &run, &r);
        if (i == 1) bench_neighbours(b, &p, &run, NEAREST, &r);
        if (i == 2) bench_neighbours(b, &p, &run, 1, &r);
        if (i == 3) bench_tree(b, &p, &run, LOCUS_AVERAGE, &r);
        if (i == 4) bench_tree(b, &p, &run, LOCUS_SINGLE, &r);
        after = i ? measure_peak(b->isa, b->parallel) : bytes_per_second(b);
        print_row(b, names[i], &r, i != 0, after > limit ? after : limit);
    }
    if (wanted(b, "value-aware portfolio")) {
        result r;
        double limit;
        memset(&r, 0, sizeof r);
        limit = bytes_per_second(b);
        bench_portfolio(b, &run, &r);
        print_row(b, "value-aware portfolio of 100, 1,000 queries", &r, 0, limit);
    }
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {10000, 20000, 30000, 100000, 300000}, quick[] = {2000, 5000};
    bench b;
    const locus_parallel *threads;
    locus_error err;
    size_t one = 0, count = 0;
    int small = 0;
    char cpu[128];
    memset(&b, 0, sizeof b);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) small = 1;
        else if (strcmp(argv[i], "--n") == 0 && i + 1 < argc) one = (size_t)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) b.only = argv[++i];
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc) count = (size_t)strtoul(argv[++i], NULL, 10);
        else die("usage", "bench_scale [--quick] [--n N] [--only WORD] [--threads T]");
    }
    check(locus_threads_create(&threads, count, &err), &err);
    b.parallel = threads;
    check(locusi_isa_choose(&b.isa, &err), &err);
    b.stream = allocate(sizeof(float) * STREAM_FLOATS);
    for (size_t i = 0; i < STREAM_FLOATS; i++) b.stream[i] = 1.0f;
    cpu_name(cpu, sizeof cpu);
    printf("%s, %zu threads, %s, locus.h %s; cosine distances of %d numbers\n\n", cpu, b.parallel->threads,
           locus_isa_name(b.isa), locus_version(), DIM);
    print_head();
    for (size_t i = 0; i < (one ? 1 : small ? sizeof quick / sizeof quick[0] : sizeof sizes / sizeof sizes[0]); i++) {
        b.n = one ? one : small ? quick[i] : sizes[i];
        b.rows = allocate(b.n * DIM * sizeof(float));
        bench_one(&b);
        free(b.rows);
    }
    printf("\nLargest memory of the process: %.0f MB\n", (double)peak_rss_kb() / 1e3);
    free(b.stream);
    locus_threads_destroy(threads);
    return 0;
}
