// SPDX-License-Identifier: MIT
// A new model joins a router after as few evaluations as will do: the pool says which queries to ask it next.
//
//     cc -O2 examples/adaptive.c -o build/adaptive -lm
//     build/adaptive ROUTER.safetensors ENCODINGS.npy SCORES.npy NAME
//
// ROUTER: net and pool with a memory, written by `locus embed --with-net all`. ENCODINGS: f4 [n, q_dim], queries that
// the new model may be asked. SCORES: u1 [n], what it would answer: 1 right, 0 wrong, 255 cannot be asked. A score is
// looked at only once its query has been picked; in earnest, that is where the model is called and its answer judged.

#define LOCUS_IMPLEMENTATION
#include "../locus.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 8, MOST = 48 };

static locus_error err;
static locus_net *net;
static locus_pool *pool;
static locus_array encodings, scores;
static locus_evals evals;        // the queries with what has been answered so far
static unsigned char *answered;  // [n] 255: not asked yet
static unsigned char *available; // [n]
static unsigned char *completed; // [n]
static float *chances;           // [n]
static float *logits;            // [n, models]
static double *few;              // [n] the model's predicted chances from few answers
static float *z;                 // [z_dim]
static size_t n;

static int fail(const char *message)
{
    fprintf(stderr, "adaptive: %s\n", message);
    return 1;
}

static int wrong(void) { return fail(err.message); }

static unsigned char ask(size_t query) { return ((const unsigned char *)scores.data)[query]; }

// Batch by batch, until more would not pay.
static int interview(size_t *asked)
{
    locus_next_opts opts;
    memset(&opts, 0, sizeof opts);
    opts.batch = BATCH;
    opts.available = available;
    *asked = 0;
    for (;;) {
        size_t picks[BATCH];
        locus_next next;
        locus_status status = locus_next_evaluations(pool, &evals, &opts, picks, &next, &err);
        if (status && !(status == LOCUS_ERR_NO_CANDIDATE && *asked)) return wrong();
        printf("%3zu asked: accuracy %5.1f %% (%.1f to %.1f), expected error of a chance %.3f%s\n", *asked,
               100.0 * next.accuracy.value, 100.0 * next.accuracy.low, 100.0 * next.accuracy.high, next.error,
               status        ? ": none left"
               : next.enough ? ": enough"
                             : "");
        if (status || next.enough || *asked >= MOST) return 0;
        for (size_t i = 0; i < next.count; ++i) answered[picks[i]] = ask(picks[i]);
        *asked += next.count;
    }
}

// Embedding from 0 and 1, memory from chances: the model as it is known now. The first time it joins the pool.
static int join(const char *name, const unsigned char *answers, const float *known, size_t count, size_t *index)
{
    locus_model model;
    memset(&model, 0, sizeof model);
    strcpy(model.name, name);
    model.available = 1;
    model.evaluations = count;

    locus_evals e = evals;
    e.scores.u8 = answers;
    size_t bytes = locus_encode_workspace(net, &e, NULL);
    void *work = malloc(bytes);
    if (!work) return fail("out of memory");
    locus_status status = locus_encode(net, &e, z, NULL, work, bytes, &err);
    free(work);
    if (status) return wrong();
    status = *index == SIZE_MAX ? locus_pool_add(pool, &model, z, index, &err)
                                : locus_pool_set(pool, *index, &model, z, &err);
    if (status) return wrong();
    if (known) e.scores.f32 = known, e.scores.u8 = NULL;
    return locus_pool_recall_model(pool, *index, &e, &err) ? wrong() : 0;
}

static int predict(void)
{
    size_t bytes = locus_predict_workspace(pool, n, NULL);
    void *work = malloc(bytes);
    if (!work) return fail("out of memory");
    locus_status status = locus_predict(pool, &evals.queries, logits, NULL, work, bytes, &err);
    free(work);
    return status ? wrong() : 0;
}

// The chances that the router now sees, next to those from all evaluations and to the truth.
static int compare(const char *name, size_t index, size_t asked)
{
    size_t models = locus_pool_count(pool), asks = 0;
    double mean[2] = {0.0, 0.0}, squares = 0.0, right = 0.0;
    if (predict()) return 1;
    for (size_t i = 0; i < n; ++i) {
        few[i] = locus_probability((double)logits[i * models + index]);
        mean[0] += few[i] / (double)n;
        asks += available[i] != 0;
    }
    if (join(name, (const unsigned char *)scores.data, NULL, asks, &index) || predict()) return 1;
    for (size_t i = 0; i < n; ++i) {
        double p = locus_probability((double)logits[i * models + index]);
        mean[1] += p / (double)n;
        squares += (p - few[i]) * (p - few[i]) / (double)n;
        if (available[i]) right += ask(i) / (double)asks;
    }
    printf("%s: mean predicted accuracy on these %zu queries\n", name, n);
    printf("  from %3zu chosen answers  %5.1f %%\n", asked, 100.0 * mean[0]);
    printf("  from all %3zu             %5.1f %%  (apart by %.1f points; single chances by %.3f, root mean square)\n",
           asks, 100.0 * mean[1], 100.0 * fabs(mean[0] - mean[1]), sqrt(squares));
    printf("  in truth                 %5.1f %%\n", 100.0 * right);
    return 0;
}

static int run(char **argv)
{
    const char *name = argv[4];
    if (locus_net_open(&net, argv[1], NULL, &err) || locus_pool_open(&pool, net, argv[1], &err) ||
        locus_npy_open(&encodings, argv[2], &err) || locus_npy_open(&scores, argv[3], &err))
        return wrong();
    if (encodings.dtype != LOCUS_F32 || encodings.rank != 2 || encodings.shape[0] == 0)
        return fail("ENCODINGS: expected f4 [n, q_dim], n at least 1");
    if (scores.dtype != LOCUS_U8 || scores.count != encodings.shape[0]) return fail("SCORES: expected u1 [n]");
    if (strlen(name) >= sizeof((locus_model *)NULL)->name) return fail("NAME: too long");
    if (locus_pool_find(pool, name) != SIZE_MAX) return fail("NAME: the pool has this model already");
    n = scores.count;

    answered = (unsigned char *)malloc(n);
    available = (unsigned char *)malloc(n);
    completed = (unsigned char *)malloc(n);
    chances = (float *)malloc(n * sizeof *chances);
    few = (double *)malloc(n * sizeof *few);
    logits = (float *)calloc(n * (locus_pool_count(pool) + 1), sizeof *logits);
    z = (float *)malloc(locus_net_get_info(net).z_dim * sizeof *z);
    if (!answered || !available || !completed || !chances || !few || !logits || !z) return fail("out of memory");
    for (size_t i = 0; i < n; ++i) {
        if (ask(i) != 0 && ask(i) != 1 && ask(i) != 255) return fail("SCORES: expected 0, 1 or 255");
        available[i] = ask(i) != 255;
    }
    memset(answered, 255, n);
    evals.queries.encodings = (const float *)encodings.data;
    evals.queries.count = n;
    evals.queries.dim = encodings.shape[1];
    evals.scores.models = 1;
    evals.scores.u8 = answered;

    size_t asked, index = SIZE_MAX;
    if (interview(&asked)) return 1;
    // Well-chosen queries are no fair sample: complete them before anything is learned from them.
    if (locus_complete_evaluations(pool, &evals, chances, completed, &err)) return wrong();
    return join(name, completed, chances, asked, &index) || compare(name, index, asked);
}

int main(int argc, char **argv)
{
    if (argc != 5) return fprintf(stderr, "usage: adaptive ROUTER.safetensors ENCODINGS.npy SCORES.npy NAME\n"), 2;
    int status = run(argv);
    free(z);
    free(logits);
    free(few);
    free(chances);
    free(completed);
    free(available);
    free(answered);
    locus_array_close(&scores);
    locus_array_close(&encodings);
    locus_pool_destroy(pool);
    locus_net_destroy(net);
    return status;
}
