// SPDX-License-Identifier: MIT
// Routing one query over very many models: time of the plain way (every logit) and of the screened one, next to what
// this machine can do; and what such a pool takes to build, save and load. Prints a markdown table.
//
//     cc -O2 bench/bench_route_scale.c -o build/bench_route_scale -lm -pthread
//     build/bench_route_scale [examples/data/router.safetensors [most models]]
//
// Three kinds of pools around the real one in that file. families: centres drawn with the real pool's mean and
// covariance, 100 models around each; cloud: one Gaussian of the real pool's total variance, equal in all directions;
// alike: every model the same but for the last bits, so that every one of them has to be computed.
//
// Multiply-adds: M (d hidden + hidden) for the plain way; the screened one does the same with 16-bit integers, then the
// plain ones of the models that are left. Bytes: each model's embedding and part of the hidden layer in floats;
// screened, its embedding in 16 bits, three floats, and the bound that is written and read. Every time is the least of
// several, each of another query.
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
static float *encodings, *sink;
static size_t dim;
static double peak[3], bandwidth[3]; // FLOP/s, bytes/s of 1 and 2 threads

static double normal(void)
{
    const double u = ((double)random_u32() + 0.5) / 4294967296.0, v = (double)random_u32() / 4294967296.0;
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

// ---- pools

enum kind { FAMILIES, CLOUD, ALIKE };
static const char *const kind_name[] = {"families", "cloud", "alike"};

static void draw(enum kind kind, size_t index, float *centre, float *z)
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
    if (kind == FAMILIES && index % 100 == 0) {
        for (j = 0; j < d; j++) centre[j] = (float)mean[j];
        for (i = 0; i < n; i++) {
            const double w = normal() / sqrt((double)n);
            for (j = 0; j < d; j++) centre[j] += (float)(w * ((double)locus_pool_embedding(real, i)[j] - mean[j]));
        }
    }
    for (j = 0; j < d; j++)
        z[j] = kind == FAMILIES ? centre[j] + (float)(0.3 * scale * normal())
               : kind == CLOUD  ? (float)(mean[j] + scale * normal())
                                : (float)(mean[j] * (1.0 + 1e-7 * normal()));
}

static double build_seconds; // of locus_pool_add alone

static locus_pool *build(enum kind kind, size_t n)
{
    const size_t d = locus_net_get_info(net).z_dim;
    float *rows = (float *)allocate(n * d * sizeof(float)), *centre = (float *)allocate(d * sizeof(float));
    locus_pool *pool;
    double start;
    for (size_t i = 0; i < n; i++) draw(kind, i, centre, rows + i * d);
    start = now();
    check(locus_pool_create(&pool, net, 0, NULL, NULL, 0, &err), &err);
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

static void line(const locus_pool *pool, enum kind kind, size_t top, double lambda, size_t count)
{
    const locus_parallel *parallel = count > 1 ? threads : NULL;
    const locus_net_info info = locus_net_get_info(net);
    const size_t n = locus_pool_count(pool), d = info.z_dim, h = info.decoder_hidden;
    locus_choice plain[16], screened[16];
    locus_route_opts o;
    locus_queries q;
    double best[2] = {1e9, 1e9}, adds[2], bytes[2];
    size_t exact = 0, work_bytes;
    void *work;
    memset(&o, 0, sizeof o);
    o.top = top;
    o.lambda = lambda;
    o.parallel = parallel;
    work_bytes = locus_route_workspace(pool, 1, &o);
    work = allocate(work_bytes);
    memset(plain, 0, sizeof plain);
    memset(screened, 0, sizeof screened);
    for (size_t i = 0; i < QUERIES; i++) {
        double start = now(), seconds;
        q.encodings = encodings + i * dim;
        q.count = 1;
        q.dim = dim;
        q.stride = 0;
        check(locus_route(pool, &q, &o, plain, sink, work, work_bytes, &err), &err); // the caller wants all logits
        seconds = now() - start;
        if (seconds < best[0]) best[0] = seconds;
        start = now();
        check(locus_route(pool, &q, &o, screened, NULL, work, work_bytes, &err), &err);
        seconds = now() - start;
        if (seconds < best[1]) best[1] = seconds;
        for (size_t k = 0; k < top; k++)
            if (plain[k].model != screened[k].model || plain[k].logit != screened[k].logit)
                die("screened", "other choices than the plain way");
        if (locusi_screened(pool, top)) {
            const float *logits = (const float *)(void *)locusi_align(work);
            for (size_t m = 0; m < n; m++) exact += logits[m] > LOCUSI_PASSED_OVER;
        } else exact += n;
        double flop = measure_peak(info.isa, parallel);
        if (flop > peak[count]) peak[count] = flop;
    }
    const double share = (double)exact / (double)(n * QUERIES);
    adds[0] = (double)n * (double)(d * h + h);
    bytes[0] = (double)n * 4.0 * (double)(d + h);
    adds[1] = locusi_screened(pool, top) ? adds[0] * (1.0 + share) : adds[0];
    bytes[1] = locusi_screened(pool, top) ? (double)n * (2.0 * (double)d + 20.0) + bytes[0] * share : bytes[0];
    printf("| %s | %zu | %zu | %g | %zu | %.2f | %.2f | %.3f %% |", kind_name[kind], n, top, lambda, count,
           1e3 * best[0], 1e3 * best[1], 100.0 * share);
    for (int i = 0; i < 2; i++)
        printf(" %.1f (%.0f %%) | %.1f (%.0f %%) |", 1e-9 * adds[i] / best[i], 200.0 * adds[i] / best[i] / peak[count],
               1e-9 * bytes[i] / best[i], 100.0 * bytes[i] / best[i] / bandwidth[count]);
    printf("\n");
    fflush(stdout);
    free(work);
}

int main(int argc, char **argv)
{
    static const size_t sizes[4] = {1000, 10000, 100000, 300000};
    const char *path = argc > 1 ? argv[1] : "examples/data/router.safetensors";
    const size_t most = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 300000;
    char cpu[128];
    locus_safetensors st;
    check(locus_net_open(&net, path, NULL, &err), &err);
    check(locus_pool_open(&real, net, path, &err), &err);
    check(locus_threads_create(&threads, 2, &err), &err);
    dim = locus_net_get_info(net).q_dim;
    encodings = (float *)allocate(QUERIES * dim * sizeof(float));
    sink = (float *)allocate(sizes[3] * sizeof(float));
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
           "| pool | models | top | lambda | threads | plain ms | screened ms | computed exactly | plain G "
           "multiply-adds/s | plain GB/s | screened G multiply-adds/s | screened GB/s |\n"
           "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for (int kind = FAMILIES; kind <= ALIKE; kind++)
        for (size_t i = 0; i < 4; i++) {
            locus_pool *pool;
            if (sizes[i] > most || (kind != FAMILIES && sizes[i] != 300000)) continue;
            pool = build((enum kind)kind, sizes[i]);
            for (size_t t = 1; t <= 2; t++) {
                line(pool, (enum kind)kind, 1, 0.0, t);
                line(pool, (enum kind)kind, 10, 0.0, t);
                line(pool, (enum kind)kind, 10, 0.2, t);
            }
            locus_pool_destroy(pool);
        }
    printf("\n| models | build s | save s | load s | MB on disk | MB in memory | bytes a model |\n"
           "|---:|---:|---:|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < 4; i++) {
        locus_pool *pool, *loaded;
        double start, save, load;
        size_t bytes;
        if (sizes[i] > most) continue;
        pool = build(FAMILIES, sizes[i]);
        start = now();
        check(locus_pool_save(pool, POOL_FILE, LOCUS_SAVE_POOL, NULL, &err), &err);
        save = now() - start;
        start = now();
        check(locus_pool_open(&loaded, net, POOL_FILE, &err), &err);
        load = now() - start;
        if (locus_pool_count(loaded) != sizes[i]) die("load", "not all models");
        bytes = locus_pool_memory(net, sizes[i]);
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
    free(sink);
    locus_threads_destroy(threads);
    locus_pool_destroy(real);
    locus_net_destroy(net);
    return 0;
}
