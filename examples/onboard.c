// SPDX-License-Identifier: MIT
// A new model joins a running router: nothing is trained and no other model is touched.
//
//     cc -O2 examples/onboard.c -o build/onboard -lm
//     build/onboard ROUTER.safetensors ENCODINGS.npy SCORES.npy NAME QUERIES.npy OUT.safetensors
//
// ROUTER: net and pool, written by `locus embed --with-net all` (the encoder is needed). ENCODINGS: f4 [n, q_dim], the
// queries that the new model has answered; SCORES: u1 [n], 1 right, 0 wrong, 255 not evaluated. QUERIES: f4 [m, q_dim],
// some queries to route. The model joins after a quarter of its evaluations, as if the rest came in later.

#define LOCUS_IMPLEMENTATION
#include "../locus.h"
#include <stdio.h>
#include <stdlib.h>

static locus_error err;
static locus_router router;
static locus_array encodings, scores, queries;

static void must(int ok, const char *message)
{
    if (ok) return;
    fprintf(stderr, "onboard: %s\n", message);
    exit(1);
}

// Where the queries go now.
static void show(const char *when)
{
    printf("%s: %zu models\n", when, locus_router_count(&router));
    for (size_t i = 0; i < queries.shape[0]; ++i) {
        locus_queries q = {(const float *)queries.data + i * queries.shape[1], 1, queries.shape[1], 0};
        locus_choice best;
        must(!locus_router_route(&router, &q, NULL, &best, NULL, &err), err.message);
        printf("  query %zu: %s (%.1f %%)\n", i, locus_router_name(&router, best.model),
               100.0 * (double)best.probability);
    }
}

// By its first n evaluations it joins, or is known better.
static void join(const char *name, size_t n)
{
    locus_evals e = {0};
    e.queries.encodings = (const float *)encodings.data, e.queries.count = n, e.queries.dim = encodings.shape[1];
    e.scores.models = 1, e.scores.u8 = (const unsigned char *)scores.data;
    must(!locus_pool_join(router.pool, name, &e, NULL, NULL, &err), err.message);
}

int main(int argc, char **argv)
{
    locus_safetensors net; // of the file that is written: the net is taken from the old one
    if (argc != 7) {
        fprintf(stderr,
                "usage: onboard ROUTER.safetensors ENCODINGS.npy SCORES.npy NAME QUERIES.npy OUT.safetensors\n");
        return 2;
    }
    must(!locus_router_open(&router, argv[1], NULL, &err) && !locus_safetensors_open(&net, argv[1], &err) &&
             !locus_npy_open(&encodings, argv[2], &err) && !locus_npy_open(&scores, argv[3], &err) &&
             !locus_npy_open(&queries, argv[5], &err),
         err.message);
    must(encodings.dtype == LOCUS_F32 && encodings.rank == 2, "ENCODINGS: expected f4 [n, q_dim]");
    must(queries.dtype == LOCUS_F32 && queries.rank == 2, "QUERIES: expected f4 [m, q_dim]");
    must(scores.dtype == LOCUS_U8 && scores.count == encodings.shape[0], "SCORES: expected u1 [n]");
    show("before");
    join(argv[4], (scores.count + 3) / 4);
    show("with the new model");
    join(argv[4], scores.count);
    show("refined");
    must(!locus_pool_save(router.pool, argv[6], LOCUS_SAVE_EVERYTHING, &net, &err), err.message);
    printf("%s: %s embedded from %llu evaluations\n", argv[6], argv[4],
           (unsigned long long)locus_pool_model(router.pool, locus_router_find(&router, argv[4]))->evaluations);
    locus_array_close(&queries);
    locus_array_close(&scores);
    locus_array_close(&encodings);
    locus_safetensors_close(&net);
    locus_router_close(&router);
    return 0;
}
