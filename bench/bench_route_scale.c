// SPDX-License-Identifier: MIT
// Routing one query over very many models, next to what this machine can do; and what such a pool takes to build, save
// and load. Prints a markdown table.
//
//     cc -O2 bench/bench_route_scale.c -o build/bench_route_scale -lm -pthread
//     build/bench_route_scale [examples/data/router.safetensors [most models]]
//
// The pools are families around the models of that file: centres drawn with their mean and covariance, 100 models
// around each. Multiply-adds: M (d hidden + hidden). Bytes: each model's embedding and part of the hidden layer. Every
// time is the least of several, each of another query.
#if !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#if !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1
#endif

#define LOCUS_IMPLEMENTATION
#include "../locus.h"

#include <math.h>

#include "measure.h"

#define QUERIES ((size_t)20)
#define POOL_FILE "build/bench_route_scale.safetensors"

static locus_error err;
static const locus_parallel *threads;
static locus_net *net;
static locus_pool *real;
static float *encodings;
static size_t dim;
static double peak[3], bandwidth[3]; // FLOP/s, bytes/s of 1 and 2 threads

static double normal(void)
{
    const double u = ((double)random_u32() + 0.5) / 4294967296.0, v = (double)random_u32() / 4294967296.0;
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

// ---- pools

static void draw(size_t index, float *centre, float *z)
{
    const size_t d = locus_net_get_info(net).z_dim, n = locus_pool_count(real);
    static double mean[4096], scale;
    size_t i, j;
    if (scale == 0.0) {
        for (i = 0; i < n; i++)
            for (j = 0; j < d; j++) mean[j] += (double)locus_pool_embedding(real, i)[j] / (double)n;
        for (i = 0; i < n; i++)
            for (j = 0; j < d; j++)
                scale += pow((double)locus_pool_embedding(real, i)[j] - mean[j], 2.0) / (double)(n * d);
        scale = sqrt(scale);
    }
    if (index % 100 == 0) {
        for (j = 0; j < d; j++) centre[j] = (float)mean[j];
        for (i = 0; i < n; i++) {
            const double w = normal() / sqrt((double)n);
            for (j = 0; j < d; j++) centre[j] += (float)(w * ((double)locus_pool_embedding(real, i)[j] - mean[j]));
        }
    }
    for (j = 0; j < d; j++) z[j] = centre[j] + (float)(0.3 * scale * normal());
}

static double build_seconds; // of locus_pool_add alone

static locus_pool *build(size_t n)
{
    const size_t d = locus_net_get_info(net).z_dim;
    float *rows = (float *)allocate(n * d * sizeof(float)), *centre = (float *)allocate(d * sizeof(float));
    locus_pool *pool;
    double start;
    for (size_t i = 0; i < n; i++) draw(i, centre, rows + i * d);
    start = now();
    check(locus_pool_create(&pool, net, 0, NULL, NULL, &err), &err);
    for (size_t i = 0; i < n; i++) {
        locus_model model;
        memset(&model, 0, sizeof model);
        snprintf(model.name, sizeof model.name, "organisation-%zu/model-%zu-instruct", i / 100, i);
        model.parameters_b = 7.0f;
        model.cost = (double)(i % 1000) * 0.001;
        model.available = 1;
        check(locus_pool_add(pool, &model, rows + i * d, NULL, &err), &err);
    }
    build_seconds = now() - start;
    free(rows);
    free(centre);
    return pool;
}

// ---- what the machine can do

typedef struct read_job {
    const unsigned char *data;
    size_t bytes, parts;
} read_job;

static void read_task(void *arg, size_t index) // libc's search for a byte that is not there
{
    const read_job *job = (const read_job *)arg;
    const size_t part = job->bytes / job->parts;
    if (memchr(job->data + index * part, 1, part)) die("memory", "a byte that nobody wrote");
}

static double measure_bandwidth(const locus_parallel *parallel)
{
    const size_t bytes = (size_t)256 << 20;
    unsigned char *data = (unsigned char *)allocate(bytes);
    read_job job;
    double best = 0.0;
    memset(data, 0, bytes);
    job.data = data;
    job.bytes = bytes;
    job.parts = parallel ? parallel->threads : 1;
    for (int i = 0; i < 6; i++) {
        const double start = now();
        if (parallel) parallel->run(parallel->user, read_task, &job, job.parts);
        else read_task(&job, 0);
        const double rate = (double)bytes / (now() - start);
        if (rate > best) best = rate;
    }
    free(data);
    return best;
}

// ---- one line of the table

static void line(const locus_pool *pool, size_t top, double lambda, size_t count)
{
    const locus_net_info info = locus_net_get_info(net);
    const size_t n = locus_pool_count(pool), d = info.z_dim, h = info.decoder_hidden;
    const double adds = (double)n * (double)(d * h + h), bytes = (double)n * 4.0 * (double)(d + h);
    locus_choice choices[16];
    locus_route_opts o;
    locus_run run;
    double best = 1e9;
    memset(&o, 0, sizeof o);
    memset(&run, 0, sizeof run);
    o.top = top;
    o.lambda = lambda;
    if (count > 1) run.parallel = threads;
    for (size_t i = 0; i < QUERIES; i++) {
        const locus_queries q = {encodings + i * dim, 1, dim, 0};
        const double start = now();
        check(locus_route(pool, &q, &o, choices, NULL, &run, &err), &err);
        if (now() - start < best) best = now() - start;
        const double flop = measure_peak(info.isa, run.parallel);
        if (flop > peak[count]) peak[count] = flop;
    }
    printf("| %zu | %zu | %g | %zu | %.2f | %.1f (%.0f %%) | %.1f (%.0f %%) |\n", n, top, lambda, count, 1e3 * best,
           1e-9 * adds / best, 200.0 * adds / best / peak[count], 1e-9 * bytes / best,
           100.0 * bytes / best / bandwidth[count]);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const size_t sizes[4] = {1000, 10000, 100000, 300000};
    const char *path = argc > 1 ? argv[1] : "examples/data/router.safetensors";
    const size_t most = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 300000;
    char cpu[128];
    locus_safetensors st;
    check(locus_net_open(&net, path, NULL, &err), &err);
    check(locus_pool_open(&real, net, path, NULL, &err), &err);
    check(locus_threads_create(&threads, 2, &err), &err);
    dim = locus_net_get_info(net).q_dim;
    encodings = (float *)allocate(QUERIES * dim * sizeof(float));
    for (size_t i = 0; i < QUERIES; i++) {
        double square = 0.0;
        for (size_t j = 0; j < dim; j++) {
            encodings[i * dim + j] = random_uniform(1.0f);
            square += pow((double)encodings[i * dim + j], 2.0);
        }
        for (size_t j = 0; j < dim; j++) encodings[i * dim + j] /= (float)sqrt(square);
    }
    for (size_t t = 1; t <= 2; t++) {
        const locus_parallel *parallel = t > 1 ? threads : NULL;
        peak[t] = measure_peak(locus_net_get_info(net).isa, parallel);
        bandwidth[t] = measure_bandwidth(parallel);
    }
    cpu_name(cpu, sizeof cpu);
    printf("%s, kernels: %s. fp32 peak %.1f and %.1f G multiply-adds/s, reading %.1f and %.1f GB/s on 1 and 2 "
           "threads.\n\n",
           cpu, locus_isa_name(locus_net_get_info(net).isa), 0.5e-9 * peak[1], 0.5e-9 * peak[2], 1e-9 * bandwidth[1],
           1e-9 * bandwidth[2]);
    printf("One query. Percent in brackets: of the fp32 peak and of the rate of reading.\n\n"
           "| models | top | lambda | threads | ms | G multiply-adds/s | GB/s |\n"
           "|---:|---:|---:|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < 4 && sizes[i] <= most; i++) {
        locus_pool *pool = build(sizes[i]);
        for (size_t t = 1; t <= 2; t++) {
            line(pool, 1, 0.0, t);
            line(pool, 10, 0.0, t);
            line(pool, 10, 0.2, t);
        }
        locus_pool_destroy(pool);
    }
    printf("\n| models | build s | save s | load s | MB on disk | MB in memory | bytes a model |\n"
           "|---:|---:|---:|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < 4; i++) {
        locus_pool *pool, *loaded;
        locus_pool *pool_in;
        locus_run counting;
        double start, save, load;
        size_t bytes;
        memset(&counting, 0, sizeof counting);
        if (sizes[i] > most) continue;
        pool = build(sizes[i]);
        start = now();
        check(locus_pool_save(pool, POOL_FILE, LOCUS_SAVE_POOL, NULL, &err), &err);
        save = now() - start;
        start = now();
        check(locus_pool_open(&loaded, net, POOL_FILE, NULL, &err), &err);
        load = now() - start;
        if (locus_pool_count(loaded) != sizes[i]) die("load", "not all models");
        counting.memory = &counting; // of no bytes
        locus_pool_create(&pool_in, net, sizes[i], NULL, &counting, &err);
        bytes = err.bytes;
        check(locus_safetensors_open(&st, POOL_FILE, &err), &err);
        printf("| %zu | %.3f | %.3f | %.3f | %.1f | %.1f | %zu |\n", sizes[i], build_seconds, save, load,
               1e-6 * (double)st.file.bytes, 1e-6 * (double)bytes, bytes / sizes[i]);
        fflush(stdout);
        locus_safetensors_close(&st);
        locus_pool_destroy(loaded);
        locus_pool_destroy(pool);
    }
    remove(POOL_FILE);
    printf("\nThis program took %.0f MB and %.0f s of CPU time.\n", 1e-3 * (double)peak_rss_kb(), cpu_now());
    free(encodings);
    locus_threads_destroy(threads);
    locus_pool_destroy(real);
    locus_net_destroy(net);
    return 0;
}
