// SPDX-License-Identifier: MIT
// A router whose best model is down: who stands in?
//
//     cc -O2 examples/fallback.c -o build/fallback -lm
//     build/fallback ROUTER.safetensors QUERIES.npy [NAME]
//
// QUERIES: f4 [n, q_dim], a sample of the queries to be expected. Two answers: a list made beforehand, for each model
// those whose chances on the sample are most like its own; and, while it is down, for each query the next best model.
// NAME: the model that is down; without it, the one that most of the queries go to.

#define LOCUS_IMPLEMENTATION
#include "../locus.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STAND_INS = 3 };

static locus_error err;
static locus_net *net;
static locus_pool *pool;
static locus_array encodings;
static locus_queries queries;
static size_t models;
static unsigned char *available; // [models]
static float *profiles;          // [models, queries]: how likely each model is to answer each query
static locus_neighbour *list;    // [models, STAND_INS]
static locus_choice *before, *after;

static int fail(const char *message)
{
    fprintf(stderr, "fallback: %s\n", message);
    return 1;
}

static const char *name_of(size_t model) { return model == SIZE_MAX ? "-" : locus_pool_model(pool, model)->name; }

// The list: the available models whose profiles differ least.
static int make_list(void)
{
    locus_points points = {profiles, models, queries.count, 0};
    if (locus_profiles(pool, &queries, NULL, profiles, NULL, &err) ||
        locus_neighbours(&points, NULL, LOCUS_RMS, available, STAND_INS, list, NULL, &err))
        return fail(err.message);
    return 0;
}

static void print_list(void)
{
    printf("stand-ins, by how far their chances lie from the model's (root mean square)\n");
    for (size_t m = 0; m < models; ++m) {
        printf("  %-28s", name_of(m));
        for (size_t k = 0; k < STAND_INS; ++k) {
            const locus_neighbour *n = &list[m * STAND_INS + k];
            if (n->index != SIZE_MAX) printf("  %s (%.1f)", name_of(n->index), 100.0 * (double)n->distance);
        }
        printf("\n");
    }
}

// Each query to the best of the models that are available now.
static int route(locus_choice *best)
{
    locus_route_opts opts;
    memset(&opts, 0, sizeof opts);
    opts.available = available;
    size_t bytes = locus_route_workspace(pool, queries.count, &opts);
    void *work = malloc(bytes);
    if (!work) return fail("out of memory");
    int failed = locus_route(pool, &queries, &opts, best, NULL, work, bytes, &err) != LOCUS_OK;
    free(work);
    return failed ? fail(err.message) : 0;
}

// The model that most queries went to.
static size_t busiest(void)
{
    size_t down = 0, most = 0;
    for (size_t m = 0; m < models; ++m) {
        size_t count = 0;
        for (size_t i = 0; i < queries.count; ++i) count += before[i].model == m;
        if (count > most) most = count, down = m;
    }
    return down;
}

static int take_down(size_t down)
{
    available[down] = 0;
    if (route(after)) return 1;
    size_t stand_in = SIZE_MAX;
    for (size_t k = 0; k < STAND_INS && stand_in == SIZE_MAX; ++k) {
        size_t n = list[down * STAND_INS + k].index;
        if (n != SIZE_MAX && available[n]) stand_in = n;
    }

    printf("\n%s is down; in the list: %s\n", name_of(down), name_of(stand_in));
    double sum[3] = {0.0, 0.0, 0.0};
    size_t moved = 0;
    for (size_t i = 0; i < queries.count; ++i) {
        if (before[i].model != down) continue;
        double listed = stand_in == SIZE_MAX ? 0.0 : (double)profiles[stand_in * queries.count + i];
        printf("  query %zu: %.1f %% -> next best %s %.1f %%; from the list %.1f %%\n", i,
               100.0 * (double)before[i].probability, name_of(after[i].model), 100.0 * (double)after[i].probability,
               100.0 * listed);
        sum[0] += (double)before[i].probability;
        sum[1] += (double)after[i].probability;
        sum[2] += listed;
        ++moved;
    }
    if (moved == 0) {
        printf("  none of the %zu queries went there\n", queries.count);
        return 0;
    }
    printf("%zu of %zu queries move; their mean chance: %.1f %% before, %.1f %% next best, %.1f %% from the list\n",
           moved, queries.count, 100.0 * sum[0] / (double)moved, 100.0 * sum[1] / (double)moved,
           100.0 * sum[2] / (double)moved);
    return 0;
}

static int run(int argc, char **argv)
{
    if (locus_net_open(&net, argv[1], NULL, &err) || locus_pool_open(&pool, net, argv[1], &err) ||
        locus_npy_open(&encodings, argv[2], &err))
        return fail(err.message);
    if (encodings.dtype != LOCUS_F32 || encodings.rank != 2 || encodings.shape[0] == 0)
        return fail("QUERIES: expected f4 [n, q_dim]");
    queries.encodings = (const float *)encodings.data;
    queries.count = encodings.shape[0];
    queries.dim = encodings.shape[1];
    models = locus_pool_count(pool);
    if (models == 0) return fail("the pool is empty");

    available = (unsigned char *)malloc(models);
    profiles = (float *)calloc(models * queries.count, sizeof *profiles);
    list = (locus_neighbour *)calloc(models * STAND_INS, sizeof *list);
    before = (locus_choice *)calloc(queries.count, sizeof *before);
    after = (locus_choice *)calloc(queries.count, sizeof *after);
    if (!available || !profiles || !list || !before || !after) return fail("out of memory");
    for (size_t m = 0; m < models; ++m) available[m] = locus_pool_model(pool, m)->available != 0;

    if (make_list()) return 1;
    print_list();
    if (route(before)) return 1;
    size_t down = argc > 3 ? locus_pool_find(pool, argv[3]) : busiest();
    return down == SIZE_MAX ? fail("NAME: no such model") : take_down(down);
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4) return fprintf(stderr, "usage: fallback ROUTER.safetensors QUERIES.npy [NAME]\n"), 2;
    int status = run(argc, argv);
    free(after);
    free(before);
    free(list);
    free(profiles);
    free(available);
    locus_array_close(&encodings);
    locus_pool_destroy(pool);
    locus_net_destroy(net);
    return status;
}
