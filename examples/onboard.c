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
#include <string.h>

static locus_error err;
static locus_safetensors file;
static locus_net *net;
static locus_pool *pool;
static locus_array encodings, scores, queries;

static int fail(const char *message)
{
    fprintf(stderr, "onboard: %s\n", message);
    return 1;
}

// The new model's first n evaluations.
static locus_evals first(size_t n)
{
    locus_evals e;
    memset(&e, 0, sizeof e);
    e.queries.encodings = (const float *)encodings.data;
    e.queries.count = n;
    e.queries.dim = encodings.shape[1];
    e.scores.models = 1;
    e.scores.u8 = (const unsigned char *)scores.data;
    return e;
}

// Its embedding from these.
static int encode(size_t n, float *z, uint64_t *evaluations)
{
    locus_evals e = first(n);
    *evaluations = 0;
    for (size_t i = 0; i < n; ++i) *evaluations += e.scores.u8[i] != 255;

    size_t bytes = locus_encode_workspace(net, &e, NULL);
    void *work = malloc(bytes);
    if (!work) return fail("out of memory");
    int failed = locus_encode(net, &e, z, NULL, work, bytes, &err) != LOCUS_OK;
    free(work);
    return failed ? fail(err.message) : 0;
}

// Its part in the pool's memory of the evaluated queries, where the pool has one.
static int remember(size_t index, size_t n)
{
    locus_evals e = first(n);
    if (locus_pool_recall_info(pool).landmarks == 0) return 0;
    return locus_pool_recall_model(pool, index, &e, &err) ? fail(err.message) : 0;
}

// Where the queries go now.
static int show(const char *when)
{
    locus_queries q;
    memset(&q, 0, sizeof q);
    q.encodings = (const float *)queries.data;
    q.count = queries.shape[0];
    q.dim = queries.shape[1];

    size_t bytes = locus_route_workspace(pool, q.count, NULL);
    void *work = malloc(bytes);
    locus_choice *best = (locus_choice *)calloc(q.count, sizeof *best);
    int failed = !work || !best ? fail("out of memory") : 0;
    if (!failed && locus_route(pool, &q, NULL, best, NULL, work, bytes, &err)) failed = fail(err.message);
    if (!failed) printf("%s: %zu models\n", when, locus_pool_count(pool));
    for (size_t i = 0; !failed && i < q.count; ++i)
        printf("  query %zu: %s (%.1f %%)\n", i, locus_pool_model(pool, best[i].model)->name,
               100.0 * (double)best[i].probability);
    free(best);
    free(work);
    return failed;
}

static int run(char **argv)
{
    const char *router = argv[1], *name = argv[4], *out = argv[6];
    if (locus_safetensors_open(&file, router, &err) || locus_net_create(&net, &file, NULL, &err) ||
        locus_pool_load(&pool, net, &file, NULL, 0, &err) || locus_npy_open(&encodings, argv[2], &err) ||
        locus_npy_open(&scores, argv[3], &err) || locus_npy_open(&queries, argv[5], &err))
        return fail(err.message);
    if (encodings.dtype != LOCUS_F32 || encodings.rank != 2) return fail("ENCODINGS: expected f4 [n, q_dim]");
    if (queries.dtype != LOCUS_F32 || queries.rank != 2) return fail("QUERIES: expected f4 [m, q_dim]");
    if (scores.dtype != LOCUS_U8 || scores.count != encodings.shape[0]) return fail("SCORES: expected u1 [n]");
    size_t n = scores.count, quarter = (n + 3) / 4, index = 0;

    locus_model model;
    memset(&model, 0, sizeof model);
    if (strlen(name) >= sizeof model.name) return fail("NAME: too long");
    strcpy(model.name, name);
    model.available = 1;
    float *z = (float *)malloc(locus_net_get_info(net).z_dim * sizeof *z);
    if (!z) return fail("out of memory");

    // 1. It joins with what is known of it, and the pool is saved, together with the net.
    int failed = show("before") || encode(quarter, z, &model.evaluations);
    if (!failed && locus_pool_add(pool, &model, z, &index, &err)) failed = fail(err.message);
    if (!failed) failed = remember(index, quarter);
    if (!failed) failed = show("with the new model");
    if (!failed && locus_pool_save(pool, out, LOCUS_SAVE_EVERYTHING, &file, &err)) failed = fail(err.message);

    // 2. Later there are more evaluations: encode the larger set again and replace the embedding.
    if (!failed) failed = encode(n, z, &model.evaluations);
    if (!failed && locus_pool_set(pool, index, &model, z, &err)) failed = fail(err.message);
    if (!failed) failed = remember(index, n);
    if (!failed) failed = show("refined");
    if (!failed && locus_pool_save(pool, out, LOCUS_SAVE_EVERYTHING, &file, &err)) failed = fail(err.message);
    if (!failed) printf("%s: %s embedded from %llu evaluations\n", out, name, (unsigned long long)model.evaluations);
    free(z);
    return failed;
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr,
                "usage: onboard ROUTER.safetensors ENCODINGS.npy SCORES.npy NAME QUERIES.npy OUT.safetensors\n");
        return 2;
    }
    int status = run(argv);
    locus_array_close(&queries);
    locus_array_close(&scores);
    locus_array_close(&encodings);
    locus_pool_destroy(pool);
    locus_net_destroy(net);
    locus_safetensors_close(&file);
    return status;
}
