// SPDX-License-Identifier: MIT
// A nightly check of a running router: which of its models are copies of each other, and is an endpoint still the model
// that its name says?
//
//     cc -O2 examples/nightly.c -o build/nightly -lm
//     build/nightly ROUTER.safetensors ENCODINGS.npy SCORES.npy NAME
//
// ENCODINGS: f4 [n, q_dim], queries that were asked tonight; SCORES: u1 [n] or [k, n], 1 right, 0 wrong, 255 not asked:
// the endpoint's answers tonight, and in further rows those of other endpoints or other nights. NAME: the pool's model
// that the endpoint is said to be. Ends with status 3 if the alarm sounds.

#define LOCUS_IMPLEMENTATION
#include "../locus.h"
#include <stdio.h>
#include <stdlib.h>

#define ALPHA 0.01       // false alarms, in all the nights that a watch is carried on
#define CORRELATION 0.43 // of different models' answers: 0.95 quantile of 33 models (locus_answer_correlation)

static void must(int ok, const char *message)
{
    if (ok) return;
    fprintf(stderr, "nightly: %s\n", message);
    exit(1);
}

int main(int argc, char **argv)
{
    locus_error err;
    locus_router router;
    locus_array encodings, scores;
    if (argc != 5) return fprintf(stderr, "usage: nightly ROUTER.safetensors ENCODINGS.npy SCORES.npy NAME\n"), 2;
    must(!locus_router_open(&router, argv[1], NULL, &err) && !locus_npy_open(&encodings, argv[2], &err) &&
             !locus_npy_open(&scores, argv[3], &err),
         err.message);
    must(encodings.dtype == LOCUS_F32 && encodings.rank == 2, "ENCODINGS: expected f4 [n, q_dim]");
    const size_t n = encodings.shape[0], models = locus_router_count(&router);
    const size_t claimed = locus_router_find(&router, argv[4]);
    must(scores.dtype == LOCUS_U8 && n && scores.count && scores.rank && scores.shape[scores.rank - 1] == n,
         "SCORES: expected u1 [n] or [k, n]");
    must(claimed != SIZE_MAX, "NAME: the pool has no such model");

    // Copies: each model's nearest by the cosine of the embeddings.
    locus_points points = {locus_pool_embedding(router.pool, 0), models, router.z_dim, 0};
    locus_neighbour *nearest = (locus_neighbour *)calloc(models, sizeof *nearest);
    must(nearest && !locus_neighbours(&points, NULL, LOCUS_COSINE, NULL, 1, nearest, NULL, &err),
         nearest ? err.message : "out of memory");
    printf("each model's closest, by cosine (the paper calls copies what lies below 1e-5):\n");
    for (size_t m = 0; m < models && nearest[m].index != SIZE_MAX; ++m)
        printf("  %.5f  %s, %s\n", (double)nearest[m].distance, locus_router_name(&router, m),
               locus_router_name(&router, nearest[m].index));

    // Tonight's answers against the claimed model's predictions. A service keeps the watch from night to night.
    const unsigned char *answer = (const unsigned char *)scores.data;
    locus_queries q = {(const float *)encodings.data, n, encodings.shape[1], 0};
    float *p = (float *)malloc(models * n * sizeof *p); // [models, n]
    must(p && !locus_profiles(router.pool, &q, NULL, p, NULL, &err), p ? err.message : "out of memory");
    int alarm = 0;
    for (size_t m = claimed, round = 0; round <= models; m = round++) {
        locus_watch watch = {0};
        double e = 1.0, most = 1.0;
        for (size_t i = 0; i < n; ++i)
            if (answer[i] != 255)
                e = locus_watch_add(&watch, (double)p[m * n + i], answer[i]), most = e > most ? e : most;
        if (round == 0) alarm = most >= 1.0 / ALPHA;
        if (round == 0)
            printf("is it still %s? e-value %.3g: %s\n", argv[4], e, alarm ? "no, alarm" : "no sign of another");
        else if (alarm && most < 1.0 / ALPHA) printf("  its answers would fit %s\n", locus_router_name(&router, m));
    }

    // Do other rows of answers come from the same model?
    locus_scores table = {0};
    table.models = scores.count / n, table.count = n, table.u8 = answer;
    for (size_t row = 1; row < table.models; ++row) {
        const float *chances = p + claimed * n;
        locus_likeness l;
        must(!locus_same_answers(&l, chances, chances, &table, 0, row, CORRELATION, NULL, &err), err.message);
        printf("row %zu: %zu of %zu answers differ; so few between different models: p = %.2g%s\n", row,
               l.disagreements, l.shared, l.p, l.p < ALPHA ? ": one model, or copies" : "");
    }
    free(p);
    free(nearest);
    locus_array_close(&scores);
    locus_array_close(&encodings);
    locus_router_close(&router);
    return alarm ? 3 : 0;
}
