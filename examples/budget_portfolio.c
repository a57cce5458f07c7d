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
#include <string.h>

static locus_error err;
static locus_net *net;
static locus_pool *pool;
static locus_array encodings;
static locus_queries queries;
static size_t models;
static unsigned char *available; // [models]
static float *cost;              // [models]
static float *profiles;          // [models, queries]: how likely each model is to answer each query
static size_t *picks;            // [models]
static double *value_of;         // [models]

static int fail(const char *message)
{
    fprintf(stderr, "budget_portfolio: %s\n", message);
    return 1;
}

static int make_profiles(void)
{
    return locus_profiles(pool, &queries, NULL, profiles, NULL, &err) ? fail(err.message) : 0;
}

// picks <- the models to license. Affording none is no failure: it counts as an empty set.
static int choose(double budget, locus_portfolio *out)
{
    locus_points points = {profiles, models, queries.count, 0};
    locus_portfolio_opts opts;
    memset(&opts, 0, sizeof opts);
    opts.budget = budget;
    opts.cost = cost;
    opts.available = available;
    locus_status status = locus_portfolio_choose(&points, &opts, picks, value_of, out, NULL, &err);
    if (status == LOCUS_ERR_NO_CANDIDATE) {
        memset(out, 0, sizeof *out);
        return 0;
    }
    return status ? fail(err.message) : 0;
}

static int show_set(double budget)
{
    locus_portfolio set;
    if (choose(budget, &set)) return 1;
    printf("budget %g: %zu of %zu models\n", budget, set.count, models);
    for (size_t i = 0; i < set.count; ++i)
        printf("  %-28s cost %-8g right so far: %.2f %%\n", locus_pool_model(pool, picks[i])->name,
               (double)cost[picks[i]], 100.0 * value_of[i]);
    printf("value %.2f %%, cost %g; no set within the budget has more than %.2f %%\n", 100.0 * set.value, set.cost,
           100.0 * set.bound);
    return 0;
}

static int show_curve(double all)
{
    printf("\n%10s %8s %10s %8s %8s\n", "budget", "models", "cost", "value", "bound");
    for (double share = 1.0 / 128.0; share <= 1.0; share *= 2.0) {
        locus_portfolio set;
        if (choose(share * all, &set)) return 1;
        printf("%10.4g %8zu %10.4g %6.2f %% %6.2f %%\n", share * all, set.count, set.cost, 100.0 * set.value,
               100.0 * set.bound);
    }
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
    cost = (float *)calloc(models, sizeof *cost);
    profiles = (float *)calloc(models * queries.count, sizeof *profiles);
    picks = (size_t *)calloc(models, sizeof *picks);
    value_of = (double *)calloc(models, sizeof *value_of);
    if (!available || !cost || !profiles || !picks || !value_of) return fail("out of memory");
    double all = 0.0;
    for (size_t m = 0; m < models; ++m) {
        available[m] = locus_pool_model(pool, m)->available != 0;
        cost[m] = (float)locus_pool_model(pool, m)->cost; // unknown (NaN) is refused below
        all += available[m] ? (double)cost[m] : 0.0;
    }
    if (!(all > 0.0)) return fail("no model of the pool costs anything");

    char *end = NULL;
    double budget = argc > 3 ? strtod(argv[3], &end) : all / 4.0;
    if (argc > 3 && (end == argv[3] || *end || !(budget > 0.0))) return fail("BUDGET: expected a number above 0");
    return make_profiles() || show_set(budget) || show_curve(all);
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4)
        return fprintf(stderr, "usage: budget_portfolio ROUTER.safetensors QUERIES.npy [BUDGET]\n"), 2;
    int status = run(argc, argv);
    free(value_of);
    free(picks);
    free(profiles);
    free(cost);
    free(available);
    locus_array_close(&encodings);
    locus_pool_destroy(pool);
    locus_net_destroy(net);
    return status;
}
