// SPDX-License-Identifier: MIT
// Speed of locus.h, next to this machine's fp32 peak and, where PyTorch is installed, next to a PyTorch script.
//
//     cc -O2 bench/bench.c -o build/bench -lm && build/bench          (from the project's root; make bench does it all)
//
// Noise: a shared machine makes everything slower at times, never faster. So every figure is the least of several
// repetitions, the peak is measured between them (the greatest counts), and the peer runs amid ours.
//
// Floating-point work, in multiply-adds; n evaluations, M models, d = z_dim, D = q_dim, h heads, r inducing vectors:
//   pool, once for all models (for 0/1 scores a query's token has two variants)
//     token map, its two products     2 n D d        K, Q and V of layer 0, two variants   6 n d d
//     scores of layer 0's first block, two variants   2 n r d
//   pool, for every model
//     layer 0     first block: weights x V    n r d
//                 second block: scores n r d, weights x V n r d, fc_o n d d, rff 4 n d d
//     layers 1..  first block: K and V 2 n d d, scores n r d, weights x V n r d
//                 second block: Q n d d, scores n r d, weights x V n r d, fc_o n d d, rff 4 n d d
//     pooling     one query: scores n h d, weights x tokens n h d
//   score   n D d + n d hidden (once a query), n M (d hidden + hidden)
// What does not grow with n is left out. This is the least work that we know of, and it is the same however the time
// was spent: exponentials, layer norms and everything else are not counted but cost time.
#if !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#if !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1
#endif
#if defined(__APPLE__) && !defined(_DARWIN_C_SOURCE)
#define _DARWIN_C_SOURCE 1
#endif

#include <stddef.h>
#include <stdlib.h>

static size_t allocations; // counted, to show that the working calls make none

static void *counted_malloc(size_t bytes)
{
    allocations++;
    return malloc(bytes);
}

#define LOCUS_MALLOC(bytes) counted_malloc(bytes)
#define LOCUS_FREE(pointer) free(pointer)
#define LOCUS_IMPLEMENTATION
#include "../locus.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "measure.h"

enum { Q_DIM = 768, Z_DIM = 128, HEADS = 4, LAYERS = 2, INDUCE = 64, HIDDEN = 64, MODELS = 112, EVALS = 4096 };
#define DATA "build/bench-data"
#define NET_FILE DATA "/net.safetensors"

// ------------------------------------------------------------------------------------------------------------ helpers

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

// -------------------------------------------------------------------------------------------------------------- input

typedef struct tensor_list {
    locus_tensor tensors[128];
    char names[128][64];
    size_t count;
} tensor_list;

static void add_tensor(tensor_list *list, const char *prefix, const char *name, size_t rank, size_t a, size_t b,
                       float range, float offset)
{
    locus_tensor *t = &list->tensors[list->count];
    float *data = (float *)allocate(a * b * sizeof(float));
    for (size_t i = 0; i < a * b; i++) data[i] = offset + random_uniform(range);
    memset(t, 0, sizeof *t);
    snprintf(list->names[list->count], sizeof list->names[0], "%s%s", prefix, name);
    t->name = list->names[list->count];
    t->dtype = LOCUS_F32;
    t->dtype_name = "F32";
    t->rank = rank;
    for (size_t i = 0; i < 8; i++) t->shape[i] = 1;
    if (rank == 1) t->shape[0] = a;
    if (rank == 2) t->shape[0] = a, t->shape[1] = b;
    if (rank == 3) t->shape[1] = a, t->shape[2] = b;
    t->count = a * b;
    t->bytes = a * b * sizeof(float);
    t->data = data;
    list->count++;
}

static void add_mab(tensor_list *list, const char *p)
{
    const float k = 1.0f / sqrtf((float)Z_DIM), k2 = 1.0f / sqrtf(2.0f * (float)Z_DIM);
    add_tensor(list, p, "W_q.weight", 2, Z_DIM, Z_DIM, k, 0.0f);
    add_tensor(list, p, "W_k.weight", 2, Z_DIM, Z_DIM, k, 0.0f);
    add_tensor(list, p, "W_v.weight", 2, Z_DIM, Z_DIM, k, 0.0f);
    add_tensor(list, p, "fc_o.weight", 2, Z_DIM, Z_DIM, k, 0.0f);
    add_tensor(list, p, "ln0.weight", 1, Z_DIM, 1, 0.1f, 1.0f);
    add_tensor(list, p, "ln0.bias", 1, Z_DIM, 1, 0.1f, 0.0f);
    add_tensor(list, p, "ln1.weight", 1, Z_DIM, 1, 0.1f, 1.0f);
    add_tensor(list, p, "ln1.bias", 1, Z_DIM, 1, 0.1f, 0.0f);
    add_tensor(list, p, "rff.net.0.weight", 2, 2 * Z_DIM, Z_DIM, k, 0.0f);
    add_tensor(list, p, "rff.net.0.bias", 1, 2 * Z_DIM, 1, k, 0.0f);
    add_tensor(list, p, "rff.net.2.weight", 2, Z_DIM, 2 * Z_DIM, k2, 0.0f);
    add_tensor(list, p, "rff.net.2.bias", 1, Z_DIM, 1, k2, 0.0f);
}

static void write_net(void)
{
    static const char *const keys[] = {"q_dim", "z_dim", "n_heads", "n_layers", "m_induce", "decoder_hidden"};
    static const int values[] = {Q_DIM, Z_DIM, HEADS, LAYERS, INDUCE, HIDDEN};
    tensor_list *list = (tensor_list *)allocate(sizeof *list);
    const float kd = 1.0f / sqrtf((float)Z_DIM), kq = 1.0f / sqrtf((float)Q_DIM);
    locus_metadata meta[7];
    char text[6][16], prefix[48];
    locus_error err = {0};
    list->count = 0;
    add_tensor(list, "encoder.", "input.0.weight", 2, Z_DIM, 2 * Q_DIM + 1, 4.0f * kq, 0.0f);
    add_tensor(list, "encoder.", "input.0.bias", 1, Z_DIM, 1, kq, 0.0f);
    for (int l = 0; l < LAYERS; l++) {
        snprintf(prefix, sizeof prefix, "encoder.layers.%d.", l);
        add_tensor(list, prefix, "I", 3, INDUCE, Z_DIM, 0.5f, 0.0f);
        snprintf(prefix, sizeof prefix, "encoder.layers.%d.mab1.", l);
        add_mab(list, prefix);
        snprintf(prefix, sizeof prefix, "encoder.layers.%d.mab2.", l);
        add_mab(list, prefix);
    }
    add_tensor(list, "encoder.pma.", "S", 3, 1, Z_DIM, 1.7f, 0.0f);
    add_mab(list, "encoder.pma.mab.");
    add_tensor(list, "encoder.out.0.", "weight", 2, Z_DIM, Z_DIM, kd, 0.0f);
    add_tensor(list, "encoder.out.0.", "bias", 1, Z_DIM, 1, kd, 0.0f);
    add_tensor(list, "decoder.U.", "weight", 2, Z_DIM, Q_DIM, 10.0f * kq, 0.0f);
    add_tensor(list, "decoder.U.", "bias", 1, Z_DIM, 1, kq, 0.0f);
    add_tensor(list, "decoder.mlp_head.0.", "weight", 2, HIDDEN, 3 * Z_DIM, 0.5f * kd, 0.0f);
    add_tensor(list, "decoder.mlp_head.0.", "bias", 1, HIDDEN, 1, kd, 0.0f);
    add_tensor(list, "decoder.mlp_head.3.", "weight", 2, 1, HIDDEN, 0.125f, 0.0f);
    add_tensor(list, "decoder.mlp_head.3.", "bias", 1, 1, 1, 0.125f, 0.0f);
    for (size_t i = 0; i < 6; i++) {
        snprintf(text[i], sizeof text[i], "%d", values[i]);
        meta[i].key = keys[i];
        meta[i].value = text[i];
    }
    meta[6].key = "encoder_kind";
    meta[6].value = "isab";
    check(locus_safetensors_save(NET_FILE, list->tensors, list->count, meta, 7, &err), &err);
    for (size_t i = 0; i < list->count; i++) {
        union {
            const void *in;
            void *out;
        } data;
        data.in = list->tensors[i].data;
        free(data.out);
    }
    free(list);
}

static float *make_encodings(size_t n) // rows of about unit length
{
    float *q = (float *)allocate(n * Q_DIM * sizeof(float));
    const float range = sqrtf(3.0f / (float)Q_DIM);
    for (size_t i = 0; i < n * Q_DIM; i++) q[i] = random_uniform(range);
    return q;
}

static unsigned char *make_scores(size_t count)
{
    unsigned char *y = (unsigned char *)allocate(count);
    for (size_t i = 0; i < count; i++) y[i] = (unsigned char)(random_u32() >> 31);
    return y;
}

static void save(const char *path, locus_dtype dtype, size_t rows, size_t columns, const void *data)
{
    size_t shape[2];
    locus_error err = {0};
    shape[0] = rows;
    shape[1] = columns;
    check(locus_npy_save(path, dtype, shape, 2, data, &err), &err);
}

// --------------------------------------------------------------------------------------------------------------- rows

typedef struct row {
    const char *item;
    size_t threads;
    double seconds, middle;              // least and median of the repetitions
    double cpu_share;                    // of its processors that the best repetition had; others took the rest
    double flop, peak;                   // peak in FLOP/s; flop 0: no such figure
    double target_share, target_seconds; // 0: none
    double peer_seconds, peer_target;    // PyTorch, method.md as it stands; 0: none
    double shared_seconds;               // PyTorch with our algebra
    int failed;                          // something beside the times is not as it must be
    char note[256];
} row;

typedef struct bench {
    locus_isa isa;
    int quick, full, peer;
    size_t stream_n, max_threads;
    const char *python, *json, *markdown;
    char peer_env[2][512];
    locus_threads *threads[2];
    locus_net *net;
    float *q;
    unsigned char *y;
    float *z;
    locus_pool *pool;
    row rows[16];
    size_t row_count;
} bench;

static const locus_parallel *parallel_of(const bench *b, size_t threads)
{
    return threads > 1 ? locus_threads_parallel(b->threads[1]) : NULL;
}

static row *new_row(bench *b, const char *item, size_t threads)
{
    row *r = &b->rows[b->row_count++];
    memset(r, 0, sizeof *r);
    r->item = item;
    r->threads = threads;
    fprintf(stderr, "  %s, %u thread%s ...\n", item, (unsigned)threads, threads > 1 ? "s" : "");
    return r;
}

static void note(row *r, const char *format, ...)
{
    size_t used = strlen(r->note);
    va_list args;
    va_start(args, format);
    vsnprintf(r->note + used, sizeof r->note - used, format, args);
    va_end(args);
}

typedef struct timing {
    double samples[4096];
    size_t count;
} timing;

// Run `call` `reps` times with a look at the peak before and after each.
static void measure(bench *b, row *r, timing *t, size_t reps, void (*call)(bench *b, size_t threads))
{
    for (size_t i = 0; i < reps && t->count < 4096; i++) {
        double start, cpu, seconds, peak = measure_peak(b->isa, parallel_of(b, r->threads));
        if (peak > r->peak) r->peak = peak;
        start = now();
        cpu = cpu_now();
        call(b, r->threads);
        cpu = cpu_now() - cpu;
        seconds = now() - start;
        t->samples[t->count++] = seconds;
        if (r->seconds == 0.0 || seconds < r->seconds) {
            r->seconds = seconds;
            r->cpu_share = cpu / seconds / (double)r->threads;
        }
        peak = measure_peak(b->isa, parallel_of(b, r->threads));
        if (peak > r->peak) r->peak = peak;
    }
    r->middle = median(t->samples, t->count);
}

// --------------------------------------------------------------------------------------------------------------- peer

static int find_python(bench *b)
{
    static const char *const candidates[] = {"python3", "/usr/bin/python3"};
    for (size_t i = 0; i < 2; i++) {
        char command[128];
        snprintf(command, sizeof command, "%s -c 'import torch, numpy' >/dev/null 2>&1", candidates[i]);
        if (system(command) == 0) {
            b->python = candidates[i];
            return 1;
        }
    }
    return 0;
}

// Which BLAS makes PyTorch fastest here? Asked once, the answer is kept in build/bench-data.
static void tune_peer(bench *b, size_t threads)
{
    char command[1024], path[64], *env = b->peer_env[threads - 1];
    FILE *f;
    snprintf(path, sizeof path, DATA "/peer-env-%u.txt", (unsigned)threads);
    f = fopen(path, "r");
    if (!f) {
        fprintf(stderr, "  looking for the BLAS that suits PyTorch best, %u thread%s ...\n", (unsigned)threads,
                threads > 1 ? "s" : "");
        snprintf(command, sizeof command,
                 "%s bench/peer_torch.py tune --threads %u --net " NET_FILE " --q " DATA "/q.npy --y " DATA
                 "/y.npy > %s",
                 b->python, (unsigned)threads, path);
        if (system(command) != 0) return;
        f = fopen(path, "r");
    }
    if (!f) return;
    if (!fgets(env, (int)sizeof b->peer_env[0], f)) env[0] = '\0';
    env[strcspn(env, "\n")] = '\0';
    fclose(f);
}

// Seconds of the peer for an item, 0 if it failed; form: "plain" or "shared", see peer_torch.py.
static double peer_time(bench *b, const row *r, const char *item, const char *form, const char *out, double *batch)
{
    char command[1400], line[128], key[32];
    double value, least = 0.0;
    FILE *f;
    snprintf(command, sizeof command,
             "env %s %s bench/peer_torch.py %s --form %s --threads %u --reps %d --net " NET_FILE " --q " DATA
             "/q.npy --y " DATA "/y.npy --z " DATA "/z.npy %s%s",
             b->peer_env[r->threads - 1], b->python, item, form, (unsigned)r->threads, b->quick ? 1 : 3,
             out ? "--out " : "", out ? out : "");
    f = popen(command, "r");
    if (!f) return 0.0;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%31s %lf", key, &value) != 2) continue;
        if (strcmp(key, "median") == 0 && strcmp(item, "route") == 0) least = value; // a call's usual time
        if (strcmp(key, "min") == 0 && strcmp(item, "route") != 0) least = value;
        if (strcmp(key, "batch") == 0) *batch = value;
    }
    return pclose(f) == 0 ? least : 0.0;
}

static void run_peer(bench *b, row *r, const char *item, const char *out)
{
    double batch = 0.0, ignored = 0.0;
    if (!b->peer) return;
    r->peer_seconds = peer_time(b, r, item, "plain", NULL, &ignored);
    r->shared_seconds = peer_time(b, r, item, "shared", out, &batch);
    if (r->peer_seconds <= 0.0 || r->shared_seconds <= 0.0) {
        note(r, "the peer failed; ");
        r->peer_seconds = r->shared_seconds = 0.0;
        return;
    }
    if (r->flop > 0.0)
        note(r, "at the peak: %.1f x and %.1f x; ", r->peer_seconds * r->peak / r->flop,
             r->shared_seconds * r->peak / r->flop);
    if (batch > 1.0 || batch < 0.0) note(r, "peer's batch %.0f; ", batch);
}

static void note_disturbance(row *r)
{
    if (r->cpu_share > 0.0 && r->cpu_share < 0.95)
        note(r, "DISTURBED, had %.0f %% of the cores; ", 100.0 * r->cpu_share);
}

// Largest difference from what the peer computed: the same work was timed.
static void compare_with_peer(bench *b, row *r, const char *path, const float *ours, size_t count)
{
    locus_array a;
    double worst = 0.0;
    float *theirs;
    locus_error err = {0};
    if (!b->peer || r->peer_seconds <= 0.0) return;
    if (locus_npy_open(&a, path, &err)) return;
    if (a.count == count) {
        theirs = (float *)allocate(count * sizeof(float));
        check(locus_array_to_f32(&a, 0, count, theirs, &err), &err);
        for (size_t i = 0; i < count; i++) {
            double difference = fabs((double)theirs[i] - (double)ours[i]);
            if (!(difference <= worst)) worst = difference;
        }
        free(theirs);
        if (!(worst < 1e-3)) r->failed = 1;
        note(r, "differs from peer by %.1e at most; ", worst);
    } else {
        r->failed = 1;
        note(r, "PEER COMPUTED SOMETHING ELSE; ");
    }
    locus_array_close(&a);
}

// -------------------------------------------------------------------------------------------------------------- items

static struct {
    void *work;
    size_t bytes;
    float *out;
    locus_evals evals;
    locus_encode_opts encode;
    locus_queries queries;
} job;

static void prepare_work(size_t bytes)
{
    free(job.work);
    job.work = allocate(bytes);
    job.bytes = bytes;
    memset(job.work, 1, bytes); // page faults are no part of the call
}

static void call_encode(bench *b, size_t threads)
{
    locus_error err = {0};
    (void)threads;
    check(locus_encode(b->net, &job.evals, job.out, &job.encode, job.work, job.bytes, &err), &err);
}

static void call_predict(bench *b, size_t threads)
{
    locus_error err = {0};
    check(locus_predict(b->pool, &job.queries, job.out, parallel_of(b, threads), job.work, job.bytes, &err), &err);
}

static void call_route(bench *b, size_t threads)
{
    locus_choice best;
    locus_error err = {0};
    (void)threads;
    check(locus_route(b->pool, &job.queries, NULL, &best, NULL, job.work, job.bytes, &err), &err);
}

static void set_evals(const float *q, size_t n, const unsigned char *y, size_t models, locus_encode_path path,
                      const locus_parallel *parallel)
{
    memset(&job.evals, 0, sizeof job.evals);
    memset(&job.encode, 0, sizeof job.encode);
    job.evals.queries.encodings = q;
    job.evals.queries.count = n;
    job.evals.queries.dim = Q_DIM;
    job.evals.scores.models = models;
    job.evals.scores.u8 = y;
    job.encode.path = path;
    job.encode.parallel = parallel;
}

static double pool_flop(void)
{
    const double n = EVALS, D = Q_DIM, d = Z_DIM, r = INDUCE, h = HEADS;
    const double first = 3 * n * r * d + 5 * n * d * d;
    const double later = 8 * n * d * d + 4 * n * r * d;
    const double shared = 2 * n * D * d + 6 * n * d * d + 2 * n * r * d;
    return 2.0 * (shared + MODELS * (first + (LAYERS - 1) * later + 2 * n * h * d));
}

static double score_flop(void)
{
    const double n = EVALS, D = Q_DIM, d = Z_DIM, hidden = HIDDEN;
    return 2.0 * (n * D * d + n * d * hidden + n * MODELS * (d * hidden + hidden));
}

static void bench_pool(bench *b, size_t threads)
{
    static timing t;
    row *r = new_row(b, "embed 112 models x 4,096 evaluations", threads);
    size_t before;
    t.count = 0;
    r->flop = pool_flop();
    r->target_share = 0.70;
    r->peer_target = threads > 1 ? 3.5 : 2.6;
    set_evals(b->q, EVALS, b->y, MODELS, LOCUS_ENCODE_AUTO, parallel_of(b, threads));
    prepare_work(locus_encode_workspace(b->net, &job.evals, &job.encode));
    job.out = b->z;
    before = allocations;
    measure(b, r, &t, b->quick ? 1 : 3, call_encode);
    run_peer(b, r, "pool", DATA "/peer-z.npy");
    measure(b, r, &t, b->quick ? 1 : 3, call_encode);
    if (allocations != before) {
        r->failed = 1;
        note(r, "%u ALLOCATIONS; ", (unsigned)(allocations - before));
    }
    note(r, "workspace %.0f MB; ", (double)job.bytes * 1e-6);
    compare_with_peer(b, r, DATA "/peer-z.npy", b->z, (size_t)MODELS * Z_DIM);
    note_disturbance(r);
}

static void bench_score(bench *b, size_t threads)
{
    static timing t;
    row *r = new_row(b, "score 4,096 queries x 112 models", threads);
    size_t before;
    t.count = 0;
    r->flop = score_flop();
    r->target_share = 0.65;
    r->peer_target = 4.0;
    memset(&job.queries, 0, sizeof job.queries);
    job.queries.encodings = b->q;
    job.queries.count = EVALS;
    job.queries.dim = Q_DIM;
    prepare_work(locus_predict_workspace(b->pool, EVALS, parallel_of(b, threads)));
    job.out = (float *)allocate((size_t)EVALS * MODELS * sizeof(float));
    memset(job.out, 0, (size_t)EVALS * MODELS * sizeof(float));
    before = allocations;
    measure(b, r, &t, b->quick ? 3 : 15, call_predict);
    run_peer(b, r, "score", DATA "/peer-logits.npy");
    measure(b, r, &t, b->quick ? 3 : 15, call_predict);
    if (allocations != before) {
        r->failed = 1;
        note(r, "%u ALLOCATIONS; ", (unsigned)(allocations - before));
    }
    compare_with_peer(b, r, DATA "/peer-logits.npy", job.out, (size_t)EVALS * MODELS);
    note_disturbance(r);
    free(job.out);
}

static void bench_route(bench *b)
{
    static timing t;
    row *r = new_row(b, "route 1 query over 112 models", 1);
    size_t before, calls = b->quick ? 1000 : 4000;
    t.count = 0;
    r->target_seconds = 40e-6;
    memset(&job.queries, 0, sizeof job.queries);
    job.queries.encodings = b->q;
    job.queries.count = 1;
    job.queries.dim = Q_DIM;
    prepare_work(locus_route_workspace(b->pool, 1, NULL));
    run_peer(b, r, "route", NULL);
    for (size_t i = 0; i < 100; i++) call_route(b, 1);
    before = allocations;
    for (size_t i = 0; i < calls; i++) {
        double start = now();
        job.queries.encodings = b->q + (i % EVALS) * Q_DIM; // another query each time, as a router sees them
        call_route(b, 1);
        t.samples[t.count++] = now() - start;
    }
    r->middle = median(t.samples, t.count);
    r->seconds = r->middle; // what a call usually takes; the least is in the note
    r->failed = allocations != before;
    note(r, "median; least %.1f us, 99 %% under %.1f us; %u allocations; ", 1e6 * t.samples[0],
         1e6 * t.samples[t.count - 1 - t.count / 100], (unsigned)(allocations - before));
}

static void bench_load(bench *b)
{
    static timing t;
    row *r = new_row(b, "load a 4 MB net and be ready", 1);
    struct stat info;
    size_t reps = b->quick ? 20 : 100;
    t.count = 0;
    r->target_seconds = 2e-3;
    for (size_t i = 0; i < reps; i++) {
        locus_net *net = NULL;
        locus_net_opts opts;
        locus_error err = {0};
        double start = now();
        memset(&opts, 0, sizeof opts);
        opts.isa = b->isa;
        check(locus_net_open(&net, NET_FILE, &opts, &err), &err);
        t.samples[t.count++] = now() - start;
        locus_net_destroy(net);
    }
    r->middle = median(t.samples, t.count);
    r->seconds = t.samples[0];
    if (stat(NET_FILE, &info) == 0)
        note(r, "file %.2f MB; median %.2f ms; ", (double)info.st_size * 1e-6, 1e3 * r->middle);
}

// One model from a long evaluation set in constant memory, next to the fast path on shorter ones.
static void bench_stream(bench *b)
{
    static timing t;
    static const size_t sizes[] = {4096, 32768};
    row *r = new_row(b, "embed 1 model, streaming path", 1);
    const size_t n = b->stream_n;
    float *q = make_encodings(n), z[Z_DIM];
    unsigned char *y = make_scores(n);
    double fast = 1e30, slow = 1e30;
    size_t before_kb, after_kb, streaming_bytes;
    int reps = n > 300000 ? 2 : 4;
    job.out = z;
    set_evals(q, n, y, 1, LOCUS_ENCODE_STREAMING, NULL);
    streaming_bytes = locus_encode_workspace(b->net, &job.evals, &job.encode);
    free(job.work);
    before_kb = peak_rss_kb();
    job.work = allocate(streaming_bytes);
    job.bytes = streaming_bytes;
    t.count = 0;
    r->peak = measure_peak(b->isa, NULL);
    for (int rep = 0; rep < reps; rep++) {
        double start;
        set_evals(q, n, y, 1, LOCUS_ENCODE_STREAMING, NULL);
        if (rep > 0) prepare_work(streaming_bytes);
        start = now();
        call_encode(b, 1);
        start = now() - start;
        t.samples[t.count++] = start;
        if (start < slow) slow = start;
        if (rep == 0) {
            after_kb = peak_rss_kb();
            if (after_kb - before_kb > 8000) r->failed = 1;
            note(r, "workspace %.2f MB, peak memory + %.2f MB; ", (double)streaming_bytes * 1e-6,
                 (double)(after_kb - before_kb) * 1.024e-3);
        }
        for (size_t s = 0; s < 2; s++) {
            const size_t m = sizes[s] < n ? sizes[s] : n;
            set_evals(q, m, y, 1, LOCUS_ENCODE_FAST, NULL);
            prepare_work(locus_encode_workspace(b->net, &job.evals, &job.encode));
            for (int k = 0; k < 3; k++) {
                start = now();
                call_encode(b, 1);
                start = now() - start;
                if (start / (double)m < fast) fast = start / (double)m;
            }
        }
    }
    r->seconds = slow;
    r->middle = median(t.samples, t.count);
    r->target_seconds = 1.5 * fast * (double)n;
    note(r, "%u evaluations: %.2f us each, fast path %.2f us: %.2f x (at most 1.5 x, 8 MB); ", (unsigned)n,
         1e6 * slow / (double)n, 1e6 * fast, slow / (double)n / fast);
    free(q);
    free(y);
}

// ------------------------------------------------------------------------------------------------------------- report

static void format_seconds(char out[24], double s)
{
    if (s <= 0.0) {
        snprintf(out, 24, "%s", "");
    } else if (s < 1e-3) {
        snprintf(out, 24, "%.1f us", 1e6 * s);
    } else if (s < 1.0) {
        snprintf(out, 24, "%.2f ms", 1e3 * s);
    } else {
        snprintf(out, 24, "%.3f s", s);
    }
}

static int targets_met(const row *r)
{
    if (r->failed) return 0;
    if (r->target_share > 0.0 && r->flop / r->seconds < r->target_share * r->peak) return 0;
    if (r->target_seconds > 0.0 && r->seconds > r->target_seconds) return 0;
    if (r->peer_target > 0.0 && r->peer_seconds > 0.0 && r->peer_seconds / r->seconds < r->peer_target) return 0;
    return 1;
}

static void print_table(const bench *b, FILE *f, int markdown)
{
    const char *bar = markdown ? "| " : "", *sep = markdown ? " | " : "  ", *end = markdown ? " |\n" : "\n";
    char time_text[24], rate[24], peak[24], share[48], peer[24], ratio[48], shared[24];
    fprintf(f, "%s%-37s%s%7s%s%10s%s%8s%s%8s%s%14s%s%10s%s%16s%s%12s%s%-3s%snotes%s", bar, "item", sep, "threads", sep,
            "time", sep, "GFLOP/s", sep, "peak", sep, "of peak", sep, "PyTorch", sep, "x PyTorch", sep, "x, shared",
            sep, "met", sep, end);
    if (markdown) fprintf(f, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |\n");
    for (size_t i = 0; i < b->row_count; i++) {
        const row *r = &b->rows[i];
        char noted[sizeof r->note], target[24];
        size_t length = strlen(r->note);
        memcpy(noted, r->note, sizeof noted);
        if (length >= 2) noted[length - 2] = '\0';
        rate[0] = peak[0] = share[0] = ratio[0] = shared[0] = '\0';
        if (r->shared_seconds > 0.0) snprintf(shared, sizeof shared, "%.2f", r->shared_seconds / r->seconds);
        format_seconds(time_text, r->seconds);
        format_seconds(peer, r->peer_seconds);
        if (r->flop > 0.0) {
            snprintf(rate, sizeof rate, "%.1f", 1e-9 * r->flop / r->seconds);
            snprintf(peak, sizeof peak, "%.1f", 1e-9 * r->peak);
            snprintf(share, sizeof share, "%.1f %% (>= %.0f)", 100.0 * r->flop / r->seconds / r->peak,
                     100.0 * r->target_share);
        } else if (r->target_seconds > 0.0) {
            format_seconds(target, r->target_seconds);
            snprintf(share, sizeof share, "(<= %s)", target);
        }
        if (r->peer_seconds > 0.0) {
            snprintf(ratio, sizeof ratio, "%.2f", r->peer_seconds / r->seconds);
            if (r->peer_target > 0.0) {
                size_t used = strlen(ratio);
                snprintf(ratio + used, sizeof ratio - used, " (>= %.1f)", r->peer_target);
            }
        }
        fprintf(f, "%s%-37s%s%7u%s%10s%s%8s%s%8s%s%14s%s%10s%s%16s%s%12s%s%-3s%s%s%s", bar, r->item, sep,
                (unsigned)r->threads, sep, time_text, sep, rate, sep, peak, sep, share, sep, peer, sep, ratio, sep,
                shared, sep, targets_met(r) ? "yes" : "NO", sep, noted, end);
    }
}

static void print_head(const bench *b, FILE *f, const char *newline)
{
    char cpu[128];
    cpu_name(cpu, sizeof cpu);
    fprintf(f, "locus.h %s, kernels: %s, processor: %s%s\n", locus_version(), locus_isa_name(b->isa), cpu, newline);
    if (!b->peer) {
        fprintf(f, "%s%s\n",
                b->python ? "peer skipped"
                          : "PyTorch not installed: peer skipped "
                            "(apt install python3-torch libopenblas0-pthread)",
                newline);
        return;
    }
    for (size_t t = 1; t <= b->max_threads; t++) {
        fprintf(f, "PyTorch on %u thread%s: %s%s\n", (unsigned)t, t > 1 ? "s" : "", b->peer_env[t - 1], newline);
    }
}

static void write_json(const bench *b, const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (!f) die(path, "cannot be written");
    fprintf(f, "{\"version\": \"%s\", \"isa\": \"%s\", \"rows\": [", locus_version(), locus_isa_name(b->isa));
    for (size_t i = 0; i < b->row_count; i++) {
        const row *r = &b->rows[i];
        fprintf(f,
                "%s\n  {\"item\": \"%s\", \"threads\": %u, \"seconds\": %.9g, \"median\": %.9g, \"flop\": %.6g, "
                "\"peak_flops\": %.6g, \"peer_seconds\": %.9g, \"peer_shared_seconds\": %.9g, \"met\": %s, \"note\": "
                "\"%s\"}",
                i ? "," : "", r->item, (unsigned)r->threads, r->seconds, r->middle, r->flop, r->peak, r->peer_seconds,
                r->shared_seconds, targets_met(r) ? "true" : "false", r->note);
    }
    fprintf(f, "\n]}\n");
    if (f != stdout) fclose(f);
}

static void usage(FILE *f)
{
    fprintf(f, "usage: build/bench [--quick | --full] [--isa NAME] [--threads 1|2] [--stream-n N] [--no-peer]\n"
               "                   [--json FILE|-] [--markdown FILE]      (run it from the project's root)\n"
               "  --full      stream 1,000,000 evaluations (3 GB of input) instead of 100,000\n"
               "  --quick     few repetitions: for a look, not for a record\n"
               "  --threads 1 leave out the rows of two threads\n");
}

static void parse(bench *b, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(a, "--help") == 0) {
            usage(stdout);
            exit(0);
        } else if (strcmp(a, "--quick") == 0) {
            b->quick = 1;
        } else if (strcmp(a, "--full") == 0) {
            b->full = 1;
        } else if (strcmp(a, "--no-peer") == 0) {
            b->peer = 0;
            b->python = "none wanted";
        } else if (strcmp(a, "--isa") == 0 && value) {
            for (int isa = LOCUS_ISA_AUTO; isa < LOCUS_ISA_COUNT; isa++) {
                const char *name = locus_isa_name((locus_isa)isa);
                if (name && strcmp(name, value) == 0) {
                    b->isa = (locus_isa)isa;
                    value = NULL;
                    break;
                }
            }
            if (value) die("--isa", "no such instruction set");
            i++;
        } else if (strcmp(a, "--threads") == 0 && value) {
            b->max_threads = (size_t)strtoul(value, NULL, 10);
            if (b->max_threads < 1 || b->max_threads > 2) die("--threads", "1 or 2");
            i++;
        } else if (strcmp(a, "--stream-n") == 0 && value) {
            b->stream_n = (size_t)strtoul(value, NULL, 10);
            i++;
        } else if (strcmp(a, "--json") == 0 && value) {
            b->json = value;
            i++;
        } else if (strcmp(a, "--markdown") == 0 && value) {
            b->markdown = value;
            i++;
        } else {
            usage(stderr);
            exit(2);
        }
    }
    if (b->stream_n == 0) b->stream_n = b->full ? 1000000 : b->quick ? 32768 : 100000;
}

int main(int argc, char **argv)
{
    static bench state;
    bench *b = &state;
    locus_net_opts opts;
    locus_error err = {0};
    FILE *table;
    b->peer = 1;
    b->max_threads = 2;
    parse(b, argc, argv);
    if ((mkdir("build", 0777), mkdir(DATA, 0777)) != 0) {
        struct stat info;
        if (stat(DATA, &info) != 0) die(DATA, "cannot be made; run from the project's root");
    }
    write_net();
    memset(&opts, 0, sizeof opts);
    opts.isa = b->isa;
    check(locus_net_open(&b->net, NET_FILE, &opts, &err), &err);
    b->isa = locus_net_get_info(b->net).isa;
    bench_stream(b); // first, while the process is still small: its peak memory is measured
    if (b->max_threads > 1) check(locus_threads_create(&b->threads[1], 2, &err), &err);
    b->q = make_encodings(EVALS);
    b->y = make_scores((size_t)MODELS * EVALS);
    b->z = (float *)allocate((size_t)MODELS * Z_DIM * sizeof(float));
    save(DATA "/q.npy", LOCUS_F32, EVALS, Q_DIM, b->q);
    save(DATA "/y.npy", LOCUS_U8, MODELS, EVALS, b->y);
    if (b->peer && !find_python(b)) b->peer = 0;
    for (size_t t = 1; b->peer && t <= b->max_threads; t++) tune_peer(b, t);
    for (size_t t = 1; t <= b->max_threads; t++) bench_pool(b, t);
    save(DATA "/z.npy", LOCUS_F32, MODELS, Z_DIM, b->z);
    check(locus_pool_create(&b->pool, b->net, MODELS, NULL, NULL, 0, &err), &err);
    for (size_t i = 0; i < MODELS; i++) {
        locus_model model;
        memset(&model, 0, sizeof model);
        snprintf(model.name, sizeof model.name, "model-%03u", (unsigned)i);
        model.available = 1;
        check(locus_pool_add(b->pool, &model, b->z + i * Z_DIM, NULL, &err), &err);
    }
    for (size_t t = 1; t <= b->max_threads; t++) bench_score(b, t);
    bench_route(b);
    bench_load(b);
    table = b->json && strcmp(b->json, "-") == 0 ? stderr : stdout;
    print_head(b, table, "");
    print_table(b, table, 0);
    if (b->json) write_json(b, b->json);
    if (b->markdown) {
        FILE *f = fopen(b->markdown, "w");
        if (!f) die(b->markdown, "cannot be written");
        fprintf(f, "# Speed, measured by `make bench`\n\n");
        print_head(b, f, "  ");
        fprintf(f, "\n");
        print_table(b, f, 1);
        fprintf(f, "\nTimes are the least of several repetitions (routing: the median of single calls). Peak: "
                   "multiply-adds on registers alone,\nmeasured between the repetitions with as many threads. "
                   "GFLOP/s count the work that remains after sharing\n(formulas at the top of `bench/bench.c`). "
                   "In brackets: the target. PyTorch: `bench/peer_torch.py` in the same run, method.md as it stands; "
                   "\"shared\": with our\nalgebra (token map split and shared, predictor's first layer split), where "
                   "PyTorch gains from it.\n");
        fclose(f);
    }
    locus_pool_destroy(b->pool);
    locus_net_destroy(b->net);
    if (b->threads[1]) locus_threads_destroy(b->threads[1]);
    free(job.work);
    free(b->q);
    free(b->y);
    free(b->z);
    return 0;
}
