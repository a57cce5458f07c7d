// SPDX-License-Identifier: MIT
// A new model joins a router after as few evaluations as will do: the pool says which queries to ask it next.
//
//     cc -O2 examples/adaptive.c -o build/adaptive -lm
//     build/adaptive ROUTER.safetensors ENCODINGS.npy SCORES.npy NAME
//
// ROUTER: net and pool with a recall, written by `locus embed --with-net all`. ENCODINGS: f4 [n, q_dim], queries that
// the new model may be asked. SCORES: u1 [n], what it would answer: 1 right, 0 wrong. A score is looked at only once
// its query has been picked; in earnest, that is where the model is called and its answer judged.

#define LOCUS_IMPLEMENTATION
#include "../locus.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 8, MOST = 48 };

static void must(int ok, const char *message)
{
    if (ok) return;
    fprintf(stderr, "adaptive: %s\n", message);
    exit(1);
}

int main(int argc, char **argv)
{
    locus_error err;
    locus_router router;
    locus_array encodings, scores;
    if (argc != 5) return fprintf(stderr, "usage: adaptive ROUTER.safetensors ENCODINGS.npy SCORES.npy NAME\n"), 2;
    must(!locus_router_open(&router, argv[1], NULL, &err) && !locus_npy_open(&encodings, argv[2], &err) &&
             !locus_npy_open(&scores, argv[3], &err),
         err.message);
    must(encodings.dtype == LOCUS_F32 && encodings.rank == 2 && encodings.shape[0],
         "ENCODINGS: expected f4 [n, q_dim]");
    must(scores.dtype == LOCUS_U8 && scores.count == encodings.shape[0], "SCORES: expected u1 [n]");
    const size_t n = scores.count;
    unsigned char *answered = (unsigned char *)malloc(n), *answers = (unsigned char *)malloc(n);
    float *chances = (float *)malloc(n * sizeof *chances);
    must(answered && answers && chances, "out of memory");
    memset(answered, 255, n); // nothing is known yet

    // Batch by batch, until more would not pay.
    locus_evals e = {0};
    e.queries.encodings = (const float *)encodings.data, e.queries.count = n, e.queries.dim = encodings.shape[1];
    e.scores.models = 1, e.scores.u8 = answered;
    locus_next_opts opts = {0};
    locus_next next;
    size_t picks[BATCH], asked = 0, index, i;
    opts.batch = BATCH;
    for (;;) {
        must(!locus_next_evaluations(router.pool, &e, &opts, picks, &next, NULL, &err), err.message);
        printf("%3zu asked: accuracy %5.1f %% (%.1f to %.1f), expected error of a chance %.3f%s\n", asked,
               100.0 * next.accuracy.value, 100.0 * next.accuracy.low, 100.0 * next.accuracy.high, next.error,
               next.enough ? ": enough" : "");
        if (next.enough || asked >= MOST || asked + BATCH > n) break;
        for (i = 0; i < next.count; ++i) answered[picks[i]] = ((const unsigned char *)scores.data)[picks[i]];
        asked += next.count;
    }

    // Well-chosen queries are no fair sample: complete them before anything is learned from them. The encoder has
    // learned from answers, the recall from chances.
    opts.chances = chances, opts.answers = answers;
    must(!locus_next_evaluations(router.pool, &e, &opts, NULL, NULL, NULL, &err), err.message);
    e.scores.u8 = answers;
    must(!locus_pool_join(router.pool, argv[4], &e, &index, NULL, &err), err.message);
    e.scores.u8 = NULL, e.scores.f32 = chances;
    must(!locus_pool_recall_model(router.pool, index, &e, NULL, &err), err.message);

    // What the router now expects of it, next to the truth.
    const size_t models = locus_router_count(&router);
    float *logits = (float *)malloc(n * models * sizeof *logits);
    double expected = 0.0, right = 0.0;
    must(logits && !locus_predict(router.pool, &e.queries, logits, NULL, &err), logits ? err.message : "out of memory");
    for (i = 0; i < n; ++i) {
        expected += locus_probability((double)logits[i * models + index]) / (double)n;
        right += (double)(((const unsigned char *)scores.data)[i] == 1) / (double)n;
    }
    printf("%s: mean predicted accuracy on these %zu queries %.1f %% from %zu answers, in truth %.1f %%\n", argv[4], n,
           100.0 * expected, asked, 100.0 * right);
    free(logits);
    free(chances);
    free(answers);
    free(answered);
    locus_array_close(&scores);
    locus_array_close(&encodings);
    locus_router_close(&router);
    return 0;
}
