// SPDX-License-Identifier: MIT
// What -ffast-math must not change: options that are no numbers are refused, missing scores are missing. For
// check_builds.sh.

#define LOCUS_IMPLEMENTATION
#include "locus.h"
#include <stdio.h>
#include <string.h>
static locus_error err;
static int failures;
static double from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static void expect(int line, locus_status expected, locus_status found)
{
    if (expected == found) return;
    printf("line %d: expected %s, found %s %s\n", line, locus_status_name(expected), locus_status_name(found),
           err.message);
    failures++;
}
#define EXPECT(expected, call) expect(__LINE__, expected, call)
#define REFUSED(call) EXPECT(LOCUS_ERR_ARGUMENT, call)
int main(int argc, char **argv)
{
    static const uint64_t not_a_number[3] = {0x7ff8000000000000u, 0xfff8000000000000u, 0x7ff0000000000000u};
    locus_net *net;
    locus_pool *pool;
    locus_evals e;
    locus_model m;
    float enc[40 * 8], y[2 * 40], missing, logits[40 * 2], cost[2] = {1.0f, 2.0f}, profiles[2 * 8];
    unsigned char answers[16];
    locus_choice out[40];
    locus_metrics metrics;
    locus_scores scores;
    locus_frontier frontier;
    locus_frontier_point at[64];
    locus_zero_corner zero[66];
    locus_single single[2];
    size_t i, k, picks[4];
    const uint32_t missing_bits = 0x7fc00000u;
    const double million = 1e6;
    if (argc < 2 || locus_net_open(&net, argv[1], NULL, &err) || locus_pool_create(&pool, net, 2, NULL, NULL, &err))
        return printf("%s\n", err.message), 1;
    memcpy(&missing, &missing_bits, sizeof missing);
    for (i = 0; i < 40 * 8; i++) enc[i] = (float)(i * 37 % 101) * 0.02f - 1.0f;
    for (i = 0; i < 80; i++) y[i] = i % 5 == 4 ? missing : (float)(i % 3 == 0), logits[i] = (float)(i % 7) - 3.0f;
    for (i = 0; i < 16; i++) profiles[i] = 0.05f * (float)i, answers[i] = (unsigned char)(i % 2);
    memset(&e, 0, sizeof e), memset(&m, 0, sizeof m), memset(&scores, 0, sizeof scores);
    e.queries.encodings = enc, e.queries.count = 40, e.queries.dim = 8, e.scores.models = 2, e.scores.f32 = y;
    scores.models = 2, scores.count = 40, scores.f32 = y;
    {
        float z[2 * 16], one[2 * 32], kept[32 * 8], again[16];
        EXPECT(LOCUS_OK, locus_encode(net, &e, z, LOCUS_ENCODE_AUTO, NULL, &err));
        for (i = k = 0; i < 40; i++)
            if (i % 5 != 4) memcpy(kept + 8 * k, enc + 8 * i, 8 * sizeof *enc), one[k++] = y[i];
        e.queries.encodings = kept, e.queries.count = 32, e.scores.models = 1, e.scores.f32 = one;
        EXPECT(LOCUS_OK, locus_encode(net, &e, again, LOCUS_ENCODE_AUTO, NULL, &err));
        for (i = 0; i < 16; i++)
            if (z[i] - again[i] > 1e-4f || again[i] - z[i] > 1e-4f) failures++, printf("a missing score counts\n");
        for (i = 0; i < 2; i++) {
            m.name[0] = (char)('a' + i), m.available = 1;
            EXPECT(LOCUS_OK, locus_pool_add(pool, &m, z + 16 * i, NULL, &err));
        }
        e.queries.encodings = enc, e.queries.count = 40, e.scores.models = 2, e.scores.f32 = y;
    }
    EXPECT(LOCUS_OK, locus_pool_learn(pool, &e, NULL, NULL, &err));
    EXPECT(LOCUS_OK, locus_pool_calibrate(pool, &e, NULL, &err));
    EXPECT(LOCUS_OK, locus_rank(pool, logits, 40, NULL, out, &err));
    EXPECT(LOCUS_OK, locus_metrics_compute(&metrics, logits, 40, &scores, NULL, NULL, &err));
    if (metrics.pairs != 64) failures++, printf("%d pairs of 64\n", (int)metrics.pairs);
    for (k = 0; k < 3; k++) {
        const double x = from_bits(not_a_number[k]);
        const locus_points p = {profiles, 2, 8, 0};
        locus_route_opts o;
        locus_learn_opts learn;
        locus_portfolio_opts portfolio;
        locus_portfolio chosen;
        locus_compare_opts compare;
        locus_comparison both;
        locus_likeness alike;
        locus_scores answered;
        locus_watch watch;
        locus_train_data data;
        locus_train_opts train;
        locus_trainer *trainer;
        const locus_price prices[2] = {{x, 1.0, 0.0}, {1.0, 1.0, 0.0}};
        const locus_tokens tokens = {&million, &million, 0, 0};
        const locus_tradeoff tradeoffs[4] = {{1.0, 0.5}, {x, 0.9}, {2.0, x}, {3.0, 0.8}};
        locus_frontier_opts quality;
        locus_interval range;
        uint64_t bits;
        size_t rows[40];
        double lambda, dear[2] = {2.0, 1.0}, two[2] = {0.0, 0.0};
        float keep = logits[6];
        memset(&o, 0, sizeof o), o.lambda = x, REFUSED(locus_rank(pool, logits, 40, &o, out, &err));
        memset(&o, 0, sizeof o), o.margin = x, REFUSED(locus_rank(pool, logits, 40, &o, out, &err));
        memset(&o, 0, sizeof o), o.max_cost = x, REFUSED(locus_rank(pool, logits, 40, &o, out, &err));
        REFUSED(locus_lambda_for_budget(pool, logits, 40, x, NULL, &lambda, NULL, &err));
        REFUSED(locus_pool_set_guard(pool, 0, x, &err));
        memset(&o, 0, sizeof o), o.cost = dear, dear[0] = x, o.max_cost = 10.0; // NaN is unknown, infinity wrong
        EXPECT(k == 2 ? LOCUS_ERR_ARGUMENT : LOCUS_OK, locus_rank(pool, logits, 40, &o, out, &err));
        EXPECT(k == 2 ? LOCUS_ERR_ARGUMENT : LOCUS_OK,
               locus_lambda_for_budget(pool, logits, 40, 1.0, &o, &lambda, NULL, &err));
        for (i = 0; k < 2 && i < 40; i++)
            if (out[i].model != 1) failures++, printf("an unknown cost passes for a low one\n");
        EXPECT(k == 2 ? LOCUS_ERR_ARGUMENT : LOCUS_OK, locus_price_costs(prices, 2, &tokens, 1, two, &err));
        memcpy(&bits, two, sizeof bits);
        if (k < 2 && (bits << 1) <= 0xffe0000000000000u) failures++, printf("an unknown price makes a cost\n");
        two[0] = x, two[1] = 0.0, REFUSED(locus_paired_difference(two, dear + 1, 1, 0.0, 10, 0, &range, NULL, &err));
        REFUSED(locus_paired_difference(dear + 1, dear + 1, 1, x, 10, 0, &range, NULL, &err));
        {
            unsigned char in[4];
            locusi_hull hull;
            hull.corner = picks;
            for (i = 0; i < 4; i++) in[i] = !locusi_unknown(tradeoffs[i].cost);
            locusi_hull_of(&hull, tradeoffs, 4, in, 1);
            if (k < 2 && (hull.corners != 2 || picks[0] != 0 || picks[1] != 3))
                failures++, printf("a corner that is no number\n");
        }
        memset(&quality, 0, sizeof quality), quality.rules = &o, dear[0] = 2.0, quality.level = x,
                                             quality.resamples = 20;
        REFUSED(locus_frontier_compute(&frontier, at, zero, single, logits, 40, &scores, &quality, NULL, &err));
        quality.level = 0.0, quality.means = two, two[0] = k == 2 ? 0.5 : x,
        two[1] = 0.5; // NaN: a mean that nobody knows
        EXPECT(LOCUS_OK,
               locus_frontier_compute(&frontier, at, zero, single, logits, 40, &scores, &quality, NULL, &err));
        REFUSED(locus_pool_set_recall(pool, x, &err));
        memset(&learn, 0, sizeof learn), learn.recall_weight = x,
                                         REFUSED(locus_pool_learn(pool, &e, &learn, NULL, &err));
        memset(&portfolio, 0, sizeof portfolio), portfolio.cost = cost, portfolio.budget = x;
        REFUSED(locus_portfolio_choose(&p, &portfolio, picks, NULL, &chosen, NULL, &err));
        portfolio.budget = 0.0, portfolio.lambda = x;
        REFUSED(locus_portfolio_choose(&p, &portfolio, picks, NULL, &chosen, NULL, &err));
        memset(&compare, 0, sizeof compare), compare.level = x,
                                             REFUSED(locus_compare(pool, 0, 1, NULL, &compare, &both, NULL, &err));
        compare.level = 0.0, compare.correlation = x,
        REFUSED(locus_compare(pool, 0, 1, NULL, &compare, &both, NULL, &err));
        memset(&answered, 0, sizeof answered), answered.models = 2, answered.count = 8, answered.u8 = answers;
        REFUSED(locus_same_answers(&alike, profiles, profiles, &answered, 0, 1, x, NULL, &err));
        REFUSED(locus_answer_correlation(&p, &answered, x, &lambda, two, NULL, &err));
        memset(&watch, 0, sizeof watch);
        (void)locus_watch_add(&watch, x, 1.0), (void)locus_watch_add(&watch, 0.5, x);
        if (watch.answers) failures++, printf("an answer that is no number counts\n");
        for (i = 0; i < 40; i++) rows[i] = i;
        memset(&data, 0, sizeof data);
        data.evals = e, data.train = rows, data.train_count = 40;
        for (i = 0; i < 7; i++) {
            memset(&train, 0, sizeof train);
            *(i == 0   ? &train.encoder_rate
              : i == 1 ? &train.predictor_rate
              : i == 2 ? &train.weight_decay
              : i == 3 ? &train.noise
              : i == 4 ? &train.dropout
              : i == 5 ? &train.average
                       : &train.seen) = x;
            REFUSED(locus_train_create(&trainer, &data, &train, NULL, &err));
        }
        if (k == 2) break;
        logits[6] = k ? -missing : missing;
        EXPECT(LOCUS_ERR_NONFINITE, locus_rank(pool, logits, 40, NULL, out, &err));
        EXPECT(LOCUS_ERR_NONFINITE, locus_lambda_for_budget(pool, logits, 40, 1.0, NULL, &lambda, NULL, &err));
        memset(&o, 0, sizeof o), o.cost = dear, quality.means = NULL;
        EXPECT(LOCUS_ERR_NONFINITE,
               locus_frontier_compute(&frontier, at, zero, single, logits, 40, &scores, &quality, NULL, &err));
        EXPECT(LOCUS_ERR_NONFINITE, locus_metrics_compute(&metrics, logits, 40, &scores, NULL, NULL, &err));
        logits[6] = keep;
    }
    return failures != 0;
}
