// SPDX-License-Identifier: MIT
// Which three models of a router file should answer each query?
//
//     cc -O2 examples/route.c -o build/route -lm
//     build/route ROUTER.safetensors ENCODINGS.npy
//
// ENCODINGS.npy: f4 [queries, q_dim], as the sentence encoder of the router file gives them.

#define LOCUS_IMPLEMENTATION
#include "../locus.h"
#include <stdio.h>

int main(int argc, char **argv)
{
    enum { TOP = 3 };
    locus_error err;
    locus_router router;
    locus_array q;
    locus_choice best[TOP];
    locus_route_opts opts = {0};
    if (argc != 3) return fprintf(stderr, "usage: route ROUTER.safetensors ENCODINGS.npy\n"), 2;
    if (locus_router_open(&router, argv[1], NULL, &err) || locus_npy_open(&q, argv[2], &err))
        return fprintf(stderr, "%s\n", err.message), 1;
    if (q.dtype != LOCUS_F32 || q.rank != 2) return fprintf(stderr, "%s: expected f4 [queries, q_dim]\n", argv[2]), 1;
    opts.top = TOP;
    for (size_t i = 0; i < q.shape[0]; ++i) {
        locus_queries query = {(const float *)q.data + i * q.shape[1], 1, q.shape[1], 0};
        if (locus_router_route(&router, &query, &opts, best, NULL, &err))
            return fprintf(stderr, "%s\n", err.message), 1;
        printf("query %zu:", i);
        for (int k = 0; k < TOP && best[k].model != SIZE_MAX; ++k)
            printf("  %s %.1f %%", locus_router_name(&router, best[k].model), 100.0 * (double)best[k].probability);
        printf("\n");
    }
    locus_array_close(&q);
    locus_router_close(&router);
}
