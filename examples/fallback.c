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

enum { STAND_INS = 3 };

static void must(int ok, const char *message)
{
    if (ok) return;
    fprintf(stderr, "fallback: %s\n", message);
    exit(1);
}

int main(int argc, char **argv)
{
    locus_error err;
    locus_router router;
    locus_array encodings;
    if (argc != 3 && argc != 4) return fprintf(stderr, "usage: fallback ROUTER.safetensors QUERIES.npy [NAME]\n"), 2;
    must(!locus_router_open(&router, argv[1], NULL, &err) && !locus_npy_open(&encodings, argv[2], &err), err.message);
    must(encodings.dtype == LOCUS_F32 && encodings.rank == 2 && encodings.shape[0], "QUERIES: expected f4 [n, q_dim]");
    const size_t models = locus_router_count(&router), n = encodings.shape[0];
    locus_queries queries = {(const float *)encodings.data, n, encodings.shape[1], 0};
    float *profiles = (float *)calloc(models * n + 1, sizeof *profiles); // [models, n] each model's chances
    locus_neighbour *list = (locus_neighbour *)calloc(models * STAND_INS + 1, sizeof *list);
    locus_choice *before = (locus_choice *)calloc(n, sizeof *before), *after = (locus_choice *)calloc(n, sizeof *after);
    must(profiles && list && before && after, "out of memory");

    // The list: the models whose chances differ least.
    locus_points points = {profiles, models, n, 0};
    must(!locus_profiles(router.pool, &queries, NULL, profiles, NULL, &err) &&
             !locus_neighbours(&points, NULL, LOCUS_RMS, NULL, STAND_INS, list, NULL, &err),
         err.message);
    printf("stand-ins, by how far their chances lie from the model's (root mean square)\n");
    for (size_t m = 0; m < models; ++m) {
        printf("  %-28s", locus_router_name(&router, m));
        for (size_t k = 0; k < STAND_INS && list[m * STAND_INS + k].index != SIZE_MAX; ++k)
            printf("  %s (%.1f)", locus_router_name(&router, list[m * STAND_INS + k].index),
                   100.0 * (double)list[m * STAND_INS + k].distance);
        printf("\n");
    }

    // The model that most queries go to, or the one that is named, goes down.
    must(!locus_router_route(&router, &queries, NULL, before, NULL, &err), err.message);
    size_t down = argc > 3 ? locus_router_find(&router, argv[3]) : 0, most = 0;
    for (size_t m = 0; argc < 4 && m < models; ++m) {
        size_t count = 0;
        for (size_t i = 0; i < n; ++i) count += before[i].model == m;
        if (count > most) most = count, down = m;
    }
    must(down != SIZE_MAX, "NAME: no such model");
    must(!locus_router_set_available(&router, down, 0, &err) &&
             !locus_router_route(&router, &queries, NULL, after, NULL, &err),
         err.message);
    const size_t stand_in = list[down * STAND_INS].index;
    printf("\n%s is down; in the list: %s\n", locus_router_name(&router, down),
           stand_in == SIZE_MAX ? "-" : locus_router_name(&router, stand_in));
    for (size_t i = 0; i < n; ++i)
        if (before[i].model == down)
            printf("  query %zu: %.1f %% -> next best %s %.1f %%; from the list %.1f %%\n", i,
                   100.0 * (double)before[i].probability, locus_router_name(&router, after[i].model),
                   100.0 * (double)after[i].probability,
                   stand_in == SIZE_MAX ? 0.0 : 100.0 * (double)profiles[stand_in * n + i]);
    free(after);
    free(before);
    free(list);
    free(profiles);
    locus_array_close(&encodings);
    locus_router_close(&router);
    return 0;
}
