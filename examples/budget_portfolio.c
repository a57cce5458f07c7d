// SPDX-License-Identifier: MIT
// Which models to license under a budget, if every query then goes to the best of them?
//
//     cc -O2 examples/budget_portfolio.c -o build/budget_portfolio -lm
//     build/budget_portfolio ROUTER.safetensors QUERIES.npy [BUDGET]
//
// QUERIES: f4 [n, q_dim], a sample of the queries to be expected. Costs are those of the pool. BUDGET: for the sum of
// the costs; without it, a quarter of what all models cost. The bound says how far from the best possible set the one
// found can be at most.

#define LOCUS_IMPLEMENTATION
#include "../locus.h"
#include <stdio.h>
#include <stdlib.h>

static void must(int ok, const char *message)
{
    if (ok) return;
    fprintf(stderr, "budget_portfolio: %s\n", message);
    exit(1);
}

int main(int argc, char **argv)
{
    locus_error err;
    locus_router router;
    locus_array encodings;
    if (argc != 3 && argc != 4)
        return fprintf(stderr, "usage: budget_portfolio ROUTER.safetensors QUERIES.npy [BUDGET]\n"), 2;
    must(!locus_router_open(&router, argv[1], NULL, &err) && !locus_npy_open(&encodings, argv[2], &err), err.message);
    must(encodings.dtype == LOCUS_F32 && encodings.rank == 2 && encodings.shape[0], "QUERIES: expected f4 [n, q_dim]");
    const size_t models = locus_router_count(&router), n = encodings.shape[0];
    must(models > 0, "the pool is empty");
    locus_queries queries = {(const float *)encodings.data, n, encodings.shape[1], 0};
    float *profiles = (float *)calloc(models * n, sizeof *profiles), *cost = (float *)calloc(models, sizeof *cost);
    size_t *picks = (size_t *)calloc(models, sizeof *picks);
    double *value_of = (double *)calloc(models, sizeof *value_of), all = 0.0;
    must(profiles && cost && picks && value_of, "out of memory");
    for (size_t m = 0; m < models; ++m) {
        cost[m] = (float)locus_pool_model(router.pool, m)->cost; // unknown (NaN) is refused below
        all += (double)cost[m];
    }
    must(all > 0.0, "no model of the pool costs anything");
    must(!locus_profiles(router.pool, &queries, NULL, profiles, NULL, &err), err.message);

    locus_points points = {profiles, models, n, 0};
    locus_portfolio_opts opts = {0};
    locus_portfolio set;
    opts.cost = cost;
    opts.budget = argc > 3 ? atof(argv[3]) : all / 4.0;
    must(opts.budget > 0.0, "BUDGET: expected a number above 0");
    must(!locus_portfolio_choose(&points, &opts, picks, value_of, &set, NULL, &err), err.message);
    printf("budget %g: %zu of %zu models\n", opts.budget, set.count, models);
    for (size_t i = 0; i < set.count; ++i)
        printf("  %-28s cost %-8g right so far: %.2f %%\n", locus_router_name(&router, picks[i]),
               (double)cost[picks[i]], 100.0 * value_of[i]);
    printf("value %.2f %%, cost %g; no set within the budget has more than %.2f %%\n", 100.0 * set.value, set.cost,
           100.0 * set.bound);

    printf("\n%10s %8s %10s %8s %8s\n", "budget", "models", "cost", "value", "bound");
    for (opts.budget = all / 128.0; opts.budget <= all; opts.budget *= 2.0)
        if (!locus_portfolio_choose(&points, &opts, picks, value_of, &set, NULL, &err)) // else none can be afforded
            printf("%10.4g %8zu %10.4g %6.2f %% %6.2f %%\n", opts.budget, set.count, set.cost, 100.0 * set.value,
                   100.0 * set.bound);
    free(value_of);
    free(picks);
    free(cost);
    free(profiles);
    locus_array_close(&encodings);
    locus_router_close(&router);
    return 0;
}
