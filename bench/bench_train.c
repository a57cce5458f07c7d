// SPDX-License-Identifier: MIT
// Speed of training: one epoch (forward, backward, clipping, AdamW) of 112 models with 1,024 evaluations each, which
// are subset and targets both, with the paper's net and one noise draw for each query, next to this machine's fp32 peak
// and, where PyTorch is installed, to bench/peer_train.py in the same run.
//
//     bench/run_train.sh                    builds it, runs it, writes bench/RESULTS-training.md  (make bench-train)
//
// Noise: a shared machine makes everything slower at times, never faster. So every figure is the least of several
// repetitions, the peak is measured between them (the greatest counts), and the peer runs amid ours.
//
// Floating-point work, in multiply-adds; n evaluations and n targets, M models, d = z_dim, D = q_dim, h heads, r
// inducing vectors. Forward, where a query's token has two variants (right and wrong) that all models share:
//   once         token map 2 n D d     K, Q and V of layer 0 6 n d d     scores of layer 0's first block 2 n r d
//                predictor n D d + n d hidden
//   each model   layer 0     first block: weights x V n r d     second: scores, weights x V 2 n r d, fc_o, rff 5 n d d
//                layer 1     first block: K and V 2 n d d, scores, weights x V 2 n r d
//                            second: Q n d d, scores, weights x V 2 n r d, fc_o, rff 5 n d d
//                pooling 2 n h d     predictor n d hidden
// Each product gives two on the way back, except those with the encodings: one. What does not grow with n is left out,
// and all that is no product. This is the least work that we know of, however the time was spent.
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
#include <stdarg.h>
#include <sys/stat.h>

#include "measure.h"

enum { Q_DIM = 768, Z_DIM = 128, HEADS = 4, INDUCE = 64, HIDDEN = 64, MODELS = 112, EVALS = 1024 };
#define DATA "build/bench-data"
#define FILES "--net " DATA "/train-net.safetensors --q " DATA "/train-q.npy --y " DATA "/train-y.npy"

static const char *const forms[] = {"shared", "plain", "release"}; // see peer_train.py

typedef struct row {
    size_t threads, memory_kb; // peak of the process so far
    double seconds, cpu;       // least wall and least processor time of an epoch
    double peak, peak_cpu;     // FLOP/s, and per second of processor time
    double peer[3], peer_cpu[3], peer_mb[3], peer_batch[3];
} row;

typedef struct bench {
    float *queries;
    unsigned char *scores;
    size_t rows[EVALS];
    locus_isa isa;
    int quick;
    const char *python, *markdown;
    char peer_env[2][512];
    row row[2];
    char agreement[256];
    double load[2]; // of the machine, at start and end
} bench;

static double flop(void)
{
    const double n = EVALS, m = MODELS, d = Z_DIM, q = Q_DIM, h = HEADS, r = INDUCE, g = HIDDEN;
    const double from_encodings = 3 * n * q * d;
    const double once = 6 * n * d * d + 2 * n * r * d + n * d * g;
    const double each = 13 * n * d * d + 7 * n * r * d + 2 * n * h * d + n * d * g;
    return 2.0 * (2.0 * from_encodings + 3.0 * (once + m * each));
}

// FLOP per second of processor time of one thread: what a shared machine leaves as it is.
static double measure_peak_cpu(locus_isa isa)
{
    peak_job job;
    double best = 0.0;
    memset(&job, 0, sizeof job);
    job.isa = isa;
    job.rounds = isa == LOCUS_ISA_SCALAR ? 500000 : 1500000;
    for (int slice = 0; slice < 3; slice++) {
        double start = cpu_now();
        peak_task(&job, 0);
        start = cpu_now() - start;
        if (job.flop[0] / start > best) best = job.flop[0] / start;
    }
    return best;
}

static locus_trainer *create(const bench *b, const locus_parallel *parallel, int noise)
{
    locus_trainer *t;
    locus_train_data data;
    locus_train_opts opts;
    locus_error err = {0};
    memset(&data, 0, sizeof data);
    memset(&opts, 0, sizeof opts);
    data.evals.queries.encodings = b->queries;
    data.evals.queries.count = EVALS;
    data.evals.queries.dim = Q_DIM;
    data.evals.scores.models = MODELS;
    data.evals.scores.u8 = b->scores;
    data.train = b->rows;
    data.train_count = EVALS;
    opts.recipe = LOCUS_RECIPE_PAPER;
    opts.separate_noise = -1;
    if (!noise) opts.noise = opts.dropout = -1.0;
    opts.isa = b->isa;
    opts.parallel = parallel;
    check(locus_train_create(&t, &data, &opts, &err), &err);
    return t;
}

static void epochs(row *r, locus_trainer *t, const locus_parallel *parallel, locus_isa isa, int count)
{
    locus_error err = {0};
    for (int i = 0; i < count; i++) {
        double peak = measure_peak(isa, parallel), peak_cpu = measure_peak_cpu(isa);
        double start = now(), cpu = cpu_now();
        if (peak > r->peak) r->peak = peak;
        if (peak_cpu > r->peak_cpu) r->peak_cpu = peak_cpu;
        check(locus_train_epoch(t, NULL, &err), &err);
        start = now() - start;
        cpu = cpu_now() - cpu;
        if (r->seconds <= 0.0 || start < r->seconds) r->seconds = start;
        if (r->cpu <= 0.0 || cpu < r->cpu) r->cpu = cpu;
    }
}

// Values of the peer's lines "key value" for up to four keys; 0 if it failed.
static int ask_peer(const bench *b, size_t threads, const char *what, const char *const keys[4], double out[4])
{
    char command[1400], line[256], key[64];
    double value;
    int found = 0;
    snprintf(command, sizeof command, "env %s %s bench/peer_train.py %s --threads %u " FILES, b->peer_env[threads - 1],
             b->python, what, (unsigned)threads);
    FILE *f = popen(command, "r");
    while (f && fgets(line, sizeof line, f))
        for (int i = 0; i < 4; i++)
            if (keys[i] && sscanf(line, "%63s %lf", key, &value) == 2 && !strcmp(key, keys[i])) out[i] = value, found++;
    return f && pclose(f) == 0 && found;
}

static int find_python(bench *b)
{
    static const char *const candidates[] = {"python3", "/usr/bin/python3"};
    for (size_t i = 0; i < 2; i++) {
        char command[128];
        snprintf(command, sizeof command, "%s -c 'import torch, numpy' >/dev/null 2>&1", candidates[i]);
        if (system(command) == 0) b->python = candidates[i];
    }
    return b->python != NULL;
}

// Which BLAS makes PyTorch fastest here? Asked once, the answer is kept in build/bench-data.
static void tune_peer(bench *b, size_t threads)
{
    char command[512], path[64], *env = b->peer_env[threads - 1];
    snprintf(path, sizeof path, DATA "/peer-train-env-%u.txt", (unsigned)threads);
    FILE *f = fopen(path, "r");
    if (!f) {
        fprintf(stderr, "looking for the BLAS that suits PyTorch best, %u threads ...\n", (unsigned)threads);
        snprintf(command, sizeof command, "%s bench/peer_train.py tune --threads %u " FILES " >%s", b->python,
                 (unsigned)threads, path);
        f = system(command) == 0 ? fopen(path, "r") : NULL;
    }
    if (!f) return;
    if (!fgets(env, (int)sizeof b->peer_env[0], f)) env[0] = '\0';
    env[strcspn(env, "\n")] = '\0';
    fclose(f);
}

// The same loss and the same gradient on the same weights? And does the peer make the golden gradient?
static void agree(bench *b)
{
    static const char *const keys[4] = {"loss", "norm", NULL, NULL};
    double peer[4] = {0.0, 0.0, 0.0, 0.0};
    char command[512], line[128];
    locus_epoch e;
    locus_error err = {0};
    locus_trainer *t = create(b, NULL, 0);
    check(locus_train_save(t, DATA "/train-net.safetensors", &err), &err);
    check(locus_train_epoch(t, &e, &err), &err);
    locus_train_destroy(t);
    if (!b->python || !ask_peer(b, 1, "loss", keys, peer)) return;
    snprintf(b->agreement, sizeof b->agreement,
             "loss differs from the peer's by %.1e, the gradient's norm by %.1e of itself", fabs(e.loss - peer[0]),
             fabs(e.gradient_norm - peer[1]) / peer[1]);
    snprintf(command, sizeof command, "%s bench/peer_train.py check", b->python);
    FILE *f = popen(command, "r");
    while (f && fgets(line, sizeof line, f)) {
        size_t used = strlen(b->agreement);
        line[strcspn(line, "\n")] = '\0';
        snprintf(b->agreement + used, sizeof b->agreement - used, "; %s", line);
    }
    if (f) pclose(f);
}

static void measure(bench *b, size_t threads)
{
    static const char *const keys[4] = {"min", "batch", "memory_kb", "cpu"};
    row *r = &b->row[threads - 1];
    locus_threads *pool = NULL;
    locus_error err = {0};
    const int count = b->quick ? 2 : 6;
    check(locus_threads_create(&pool, threads, &err), &err);
    const locus_parallel *parallel = threads > 1 ? locus_threads_parallel(pool) : NULL;
    locus_trainer *t = create(b, parallel, 1);
    r->threads = threads;
    check(locus_train_epoch(t, NULL, &err), &err); // touches all memory
    epochs(r, t, parallel, b->isa, count);
    r->memory_kb = peak_rss_kb();
    for (int i = 0; i < 3 && b->python; i++) {
        double got[4] = {0.0, 0.0, 0.0, 0.0};
        char what[64];
        fprintf(stderr, "PyTorch, %s, %u threads ...\n", forms[i], (unsigned)threads);
        snprintf(what, sizeof what, "step --form %s --reps %d", forms[i], b->quick ? 1 : 3);
        if (ask_peer(b, threads, what, keys, got))
            r->peer[i] = got[0], r->peer_batch[i] = got[1], r->peer_mb[i] = got[2] / 1024.0, r->peer_cpu[i] = got[3];
        epochs(r, t, parallel, b->isa, count);
    }
    locus_train_destroy(t);
    locus_threads_destroy(pool);
}

static void print(const bench *b, FILE *f, int markdown)
{
    char cpu[128];
    const char *newline = markdown ? "  \n" : "\n";
    cpu_name(cpu, sizeof cpu);
    fprintf(f, "locus.h %s, kernels: %s, processor: %s%s", locus_version(), locus_isa_name(b->isa), cpu, newline);
    fprintf(f, "load of the machine at start and end (1 is one busy processor): %.1f, %.1f%s", b->load[0], b->load[1],
            newline);
    for (size_t t = 0; t < 2 && b->python; t++)
        if (b->row[t].threads) fprintf(f, "PyTorch on %zu threads: %s%s", t + 1, b->peer_env[t], newline);
    if (!b->python)
        fprintf(f, "PyTorch not installed: peer skipped (apt install python3-torch python3-numpy)%s", newline);
    fprintf(
        f,
        "\n| threads | | time | GFLOP/s | peak | of peak | at the peak | PyTorch shared | plain | release | "
        "x best | x plain | x release | memory | met |\n"
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n");
    for (size_t t = 0; t < 4; t++) {
        const row *r = &b->row[t / 2];
        const int cpu_time = t % 2;
        const double *peer = cpu_time ? r->peer_cpu : r->peer;
        double best = 0.0, seconds = cpu_time ? r->cpu : r->seconds, peak = r->peak_cpu;
        if (!r->threads) continue;
        if (!cpu_time) peak = fmax(r->peak, (double)r->threads * r->peak_cpu); // other work hides the clock's peak
        for (int i = 0; i < 3; i++)
            if (peer[i] > 0.0 && (best <= 0.0 || peer[i] < best)) best = peer[i];
        // The peer's clock may have been disturbed where ours was not: the ratio of processor times has to hold too.
        double steady = 0.0;
        for (int i = 0; i < 3; i++)
            if (r->peer_cpu[i] > 0.0 && (steady <= 0.0 || r->peer_cpu[i] < steady)) steady = r->peer_cpu[i];
        int met = r->memory_kb < 2000000 && (t != 2 || seconds <= 1.7) &&
                  (best <= 0.0 || (best / seconds >= 2.6 && steady / r->cpu >= 2.6));
        fprintf(f, "| %zu | %s | %.3f s%s | %.1f | %.1f | %.1f %% | %.3f s |", r->threads,
                cpu_time ? "processor" : "clock", seconds, t == 2 ? " (<= 1.7)" : "", flop() / seconds / 1e9,
                peak / 1e9, 100.0 * flop() / seconds / peak, flop() / peak);
        for (int i = 0; i < 3; i++)
            if (peer[i] > 0.0) fprintf(f, " %.2f s |", peer[i]);
            else fprintf(f, " |");
        if (best > 0.0)
            fprintf(f, " %.2f (>= 2.6; %.2f at the peak) | %.2f | %.2f |", best / seconds, best / flop() * peak,
                    peer[1] / seconds, peer[2] / seconds);
        else fprintf(f, " | | |");
        fprintf(f, " %.0f MB (< 2,000) | %s |\n", (double)r->memory_kb / 1024.0, met ? "yes" : "NO");
    }
    fprintf(f,
            "\n112 models x 1,024 evaluations, q_dim 768, the paper's net; one epoch is %.1f GFLOP that remain after "
            "sharing"
            "\n(formulas at the top of `bench/bench_train.c`). Times are the least of several repetitions, the peak "
            "(multiply-adds on"
            "\nregisters alone) is measured between them. Processor time: of all threads "
            "together, the least.\n"
            "PyTorch (`bench/peer_train.py`, same run, autograd, AdamW, batches of models whose gradients add up, "
            "fastest BLAS):\n"
            "\"release\" draws noise for each (model, query) as the authors do, \"plain\" and \"shared\" once for each "
            "query as here;"
            "\n\"shared\" also has our algebra (token map, layer 0's keys, values and queries, predictor's first layer "
            "once for all"
            "\nmodels, forward and backward). Memory: peak of the whole process.",
            flop() / 1e9);
    for (size_t t = 0; t < 2; t++)
        if (b->row[t].peer[0] > 0.0)
            fprintf(f, " PyTorch, %zu threads: %.0f, %.0f, %.0f MB in batches of %.0f, %.0f, %.0f models.", t + 1,
                    b->row[t].peer_mb[0], b->row[t].peer_mb[1], b->row[t].peer_mb[2], b->row[t].peer_batch[0],
                    b->row[t].peer_batch[1], b->row[t].peer_batch[2]);
    if (b->agreement[0]) fprintf(f, "\nThe same work: %s.", b->agreement);
    fprintf(f, "\n");
}

int main(int argc, char **argv)
{
    bench *b = (bench *)calloc(1, sizeof *b);
    locus_error err = {0};
    size_t only = 0, shape[2] = {EVALS, Q_DIM};
    int peer = 1;
    if (!b) die("memory", "none");
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--quick")) b->quick = 1;
        else if (!strcmp(argv[i], "--no-peer")) peer = 0;
        else if (!strcmp(argv[i], "--markdown") && i + 1 < argc) b->markdown = argv[++i];
        else if (!strcmp(argv[i], "--threads") && i + 1 < argc) only = strtoul(argv[++i], NULL, 10);
        else die("usage", "build/bench_train [--quick] [--no-peer] [--threads 1|2] [--markdown FILE]");
    }
    for (int i = 0; i < (int)LOCUS_ISA_COUNT; i++)
        if (locus_isa_supported((locus_isa)i)) b->isa = (locus_isa)i;
    mkdir("build", 0777);
    mkdir(DATA, 0777);
    b->queries = (float *)allocate((size_t)EVALS * Q_DIM * sizeof(float));
    b->scores = (unsigned char *)allocate((size_t)MODELS * EVALS);
    for (size_t i = 0; i < (size_t)EVALS * Q_DIM; i++) b->queries[i] = random_uniform(sqrtf(3.0f / (float)Q_DIM));
    for (size_t i = 0; i < (size_t)MODELS * EVALS; i++) b->scores[i] = (unsigned char)(random_u32() >> 31);
    for (size_t i = 0; i < EVALS; i++) b->rows[i] = i;
    check(locus_npy_save(DATA "/train-q.npy", LOCUS_F32, shape, 2, b->queries, &err), &err);
    shape[0] = MODELS, shape[1] = EVALS;
    check(locus_npy_save(DATA "/train-y.npy", LOCUS_U8, shape, 2, b->scores, &err), &err);
    (void)getloadavg(&b->load[0], 1);
    if (peer) find_python(b);
    agree(b);
    for (size_t t = 1; t <= 2; t++) {
        if (only && t != only) continue;
        if (b->python) tune_peer(b, t);
        measure(b, t);
    }
    (void)getloadavg(&b->load[1], 1);
    print(b, stdout, 0);
    FILE *f = b->markdown ? fopen(b->markdown, "w") : NULL;
    if (b->markdown && !f) die(b->markdown, "cannot be written");
    if (f) {
        fprintf(f, "# Speed of training, measured by `make bench-train`\n\n");
        print(b, f, 1);
        fclose(f);
    }
    free(b->queries);
    free(b->scores);
    free(b);
    return 0;
}
