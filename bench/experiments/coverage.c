// SPDX-License-Identifier: MIT
// Do the intervals of locus_pool_resample hold what they promise? On models that the net has never seen (the folds of
// bench/experiments/reproduce.c, nets cached in build/nets): how often a nominal 90 % interval covers
//
//     what the model's predictions would be from all its evaluations (the 8,420 training queries): mean over the test
//     queries, mean per category, single queries, agreement with and distance from the pool's models; and, with the
//     noise of so many answers added, what it scored on the test queries.
//
//     build/coverage [folder of the data] [versions]       prints a table in markdown
#if !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#if !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1
#endif

#define LOCUS_IMPLEMENTATION
#include "../../locus.h"

#include "baselines.h"
#include "locus_method.h"

#include <errno.h>
#include <math.h>
#include <time.h>

#include "dataset.h"

static const size_t coverage_sizes[] = {32, 64, 128, 256, 512, 1024};
enum {
    SIZES = (int)(sizeof coverage_sizes / sizeof *coverage_sizes),
    CATEGORIES = 64,
    SINGLES = 120,
    DRAWS = 3,
    FOLDS = 4,
    EVALUATIONS = 1024
};

typedef enum quantity {
    Q_MEAN,
    Q_CATEGORY,
    Q_SINGLE,
    Q_AGREEMENT,
    Q_DISTANCE,
    Q_OBSERVED,
    Q_OBSERVED_CATEGORY,
    Q_COUNT
} quantity;
static const char *const quantity_names[] = {"mean",     "per category", "single query",         "agreement",
                                             "distance", "observed",     "observed per category"};

typedef struct coverage {
    size_t count, covered;
    double width; // sum of half widths
    float *ratio; // error over half width
} coverage;

static coverage counts[2][SIZES][Q_COUNT]; // halves of the held-out models

static void cover(coverage *t, double value, double truth, const double *versions, size_t count, double noise)
{
    const locus_interval i = locus_interval_of(value, versions, count, 0.9);
    const double half = sqrt((i.high - value) * (i.high - value) + 1.6448536 * 1.6448536 * noise);
    const double ratio = fabs(truth - value) / half;
    if (t->count % 4096 == 0) t->ratio = (float *)realloc(t->ratio, (t->count + 4096) * sizeof *t->ratio);
    if (!t->ratio) die("memory", "not enough");
    t->ratio[t->count++] = (float)ratio;
    t->covered += ratio <= 1.0;
    t->width += half;
}

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// Predicted chances [models, queries] of a pool.
static float *profiles_of(const locus_pool *models, const float *enc, size_t n, size_t dim)
{
    const size_t m = locus_pool_count(models);
    float *logits = base_floats(n * m), *p = base_floats(n * m);
    locus_queries q = {enc, n, dim, 0};
    locus_error err;
    check(locus_predict(models, &q, logits, NULL, &err), &err);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++) p[j * n + i] = (float)locus_probability((double)logits[i * m + j]);
    free(logits);
    return p;
}

static double mean_of(const float *p, const int32_t *category, int32_t which, size_t n)
{
    double sum = 0.0, count = 0.0;
    for (size_t i = 0; i < n; i++)
        if (which < 0 || category[i] == which) sum += (double)p[i], count += 1.0;
    return count > 0.0 ? sum / count : NAN;
}

static double agreement_of(const float *a, const float *b, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i] + (1.0 - (double)a[i]) * (1.0 - (double)b[i]);
    return sum / (double)n;
}

static double cosine_of(const float *a, const float *b, size_t n)
{
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (size_t i = 0; i < n; i++)
        ab += (double)a[i] * (double)b[i], aa += (double)a[i] * (double)a[i], bb += (double)b[i] * (double)b[i];
    return 1.0 - ab / sqrt(aa * bb);
}

// One held-out model, from its first n of a shuffled order of training queries.
static void measure_model(const dataset *d, locus_state *s, size_t old, size_t row, size_t half, size_t versions,
                          uint64_t seed)
{
    const split_rows *train = &d->part[0], *test = &d->part[2];
    const size_t dim = d->dim, n = test->count, z_dim = s->info.z_dim;
    size_t *order = (size_t *)base_alloc(train->count, sizeof *order);
    float *enc = base_floats(train->count * dim), *truth, *others;
    float *scores = base_floats(train->count);
    int32_t *category = (int32_t *)base_alloc(n, sizeof *category);
    double *draw = (double *)base_alloc(versions, sizeof *draw), observed[CATEGORIES + 1], answers[CATEGORIES + 1];
    int32_t categories = 0;
    base_queries q;
    for (size_t i = 0; i < train->count; i++) order[i] = i;
    base_shuffle(order, train->count, &seed);
    for (size_t i = 0; i < train->count; i++) {
        memcpy(enc + i * dim, train->enc + order[i] * dim, dim * sizeof *enc);
        scores[i] = d->scores[row * d->queries + train->columns[order[i]]];
    }
    for (size_t c = 0; c <= CATEGORIES; c++) observed[c] = answers[c] = 0.0;
    for (size_t i = 0; i < n; i++) {
        const float y = d->scores[row * d->queries + test->columns[i]];
        category[i] = d->category[test->columns[i]];
        if (category[i] >= categories) categories = category[i] + 1;
        if (isnan(y)) continue;
        observed[category[i] + 1] += (double)y, answers[category[i] + 1] += 1.0;
        observed[0] += (double)y, answers[0] += 1.0;
    }
    q.count = train->count;
    q.enc = enc;
    q.category = NULL;
    locus_truncate(s, old);
    if (locus_add(s, &q, scores)) die("add", "failed");
    truth = profiles_of(s->pool, test->enc, n, dim); // row `old` is the model, those before it the others
    others = base_floats((old + 1) * z_dim);
    for (size_t m = 0; m <= old; m++) locus_method_embedding(s, m, others + m * z_dim);
    for (size_t size = 0; size < SIZES; size++) {
        const size_t take = coverage_sizes[size];
        coverage *t = counts[half][size];
        q.count = take;
        const locus_evals evals = locus_evals_floats(&q, dim, 1, scores);
        locus_resample_opts opts;
        locus_pool *drawn;
        locus_error err;
        float *p, *point;
        const float *z;
        memset(&opts, 0, sizeof opts);
        opts.count = versions;
        opts.seed = seed;
        locus_truncate(s, old);
        if (locus_add(s, &q, scores)) die("add", "failed");
        check(locus_pool_resample(&drawn, s->pool, &evals, &opts, NULL, &err), &err);
        p = profiles_of(drawn, test->enc, n, dim);
        point = profiles_of(s->pool, test->enc, n, dim);
        z = locus_pool_embedding(s->pool, old);
        for (int32_t c = -1; c < categories; c++) {
            const double value = mean_of(point + old * n, category, c, n);
            const double rate = observed[c + 1] / answers[c + 1], noise = value * (1.0 - value) / answers[c + 1];
            for (size_t r = 0; r < versions; r++) draw[r] = mean_of(p + r * n, category, c, n);
            cover(&t[c < 0 ? Q_MEAN : Q_CATEGORY], value, mean_of(truth + old * n, category, c, n), draw, versions,
                  0.0);
            cover(&t[c < 0 ? Q_OBSERVED : Q_OBSERVED_CATEGORY], value, rate, draw, versions, noise);
        }
        for (size_t i = 0; i < SINGLES; i++) {
            const size_t at = i * n / SINGLES;
            for (size_t r = 0; r < versions; r++) draw[r] = (double)p[r * n + at];
            cover(&t[Q_SINGLE], (double)point[old * n + at], (double)truth[old * n + at], draw, versions, 0.0);
        }
        for (size_t m = 0; m < old; m += 3) {
            for (size_t r = 0; r < versions; r++) draw[r] = agreement_of(p + r * n, truth + m * n, n);
            cover(&t[Q_AGREEMENT], agreement_of(point + old * n, truth + m * n, n),
                  agreement_of(truth + old * n, truth + m * n, n), draw, versions, 0.0);
            for (size_t r = 0; r < versions; r++)
                draw[r] = cosine_of(locus_pool_embedding(drawn, r), others + m * z_dim, z_dim);
            cover(&t[Q_DISTANCE], cosine_of(z, others + m * z_dim, z_dim),
                  cosine_of(others + old * z_dim, others + m * z_dim, z_dim), draw, versions, 0.0);
        }
        locus_pool_destroy(drawn);
        free(p);
        free(point);
    }
    free(order), free(enc), free(scores), free(category), free(draw), free(truth), free(others);
}

int main(int argc, char **argv)
{
    static dataset d;
    pool pools[2];
    const size_t versions = argc > 2 ? (size_t)atoi(argv[2]) : 32;
    openblas_set_num_threads(1);
    load(&d, argc > 1 ? argv[1] : "../shared/data/mmlu-pro", "build", "mmlu-pro");
    make_pools(&d, pools);
    for (size_t fold = 0; fold < FOLDS; fold++) { // the same folds as the onboarding experiments, so the same nets
        const pool *all = &pools[1];
        size_t order[MAX_POOL], models[MAX_POOL], held[MAX_POOL], old = 0, out = 0;
        uint64_t shuffle = 0xF01D;
        evaluations e;
        base_data b;
        locus_state *s;
        for (size_t m = 0; m < all->count; m++) order[m] = m;
        base_shuffle(order, all->count, &shuffle);
        for (size_t m = 0; m < all->count; m++)
            if (m % FOLDS == fold) held[out++] = all->members[order[m]];
            else models[old++] = all->members[order[m]];
        make_evaluations(&d, models, old, EVALUATIONS, 0, &e, &b);
        s = (locus_state *)locus_fit(&b);
        if (!s) die("net", "cannot be had");
        for (size_t m = 0; m < out; m++)
            for (uint64_t draw = 0; draw < DRAWS; draw++)
                measure_model(&d, s, old, held[m], m % 2, versions, 1000 * draw + held[m]);
        locus_release(s);
        free_evaluations(&e);
    }
    printf("## Uncertainty (1)\n\nShare of nominal 90 %% intervals (bench/experiments/coverage.c: %zu versions) that "
           "cover, over "
           "the two halves of "
           "the held-out models; in brackets the mean half width,\nand by how much the intervals would have to be "
           "stretched to cover 90 %%. Truth: what the model's predictions are with all its 8,420 evaluations; "
           "`observed`: what "
           "it scored\non the test queries, with the noise of so many answers added. Target: 85 to 95 %%.\n\n| n |",
           versions);
    for (size_t q = 0; q < Q_COUNT; q++) printf(" %s |", quantity_names[q]);
    printf("\n|---|");
    for (size_t q = 0; q < Q_COUNT; q++) printf("---|");
    printf("\n");
    for (size_t size = 0; size < SIZES; size++) {
        printf("| %zu |", coverage_sizes[size]);
        for (size_t q = 0; q < Q_COUNT; q++) {
            const coverage *a = &counts[0][size][q], *b = &counts[1][size][q];
            const size_t count = a->count + b->count;
            float *ratio = base_floats(count);
            memcpy(ratio, a->ratio, a->count * sizeof *ratio);
            memcpy(ratio + a->count, b->ratio, b->count * sizeof *ratio);
            qsort(ratio, count, sizeof *ratio, ascending);
            printf(" %.0f, %.0f %% (%.3f, %.2f) |", 100.0 * (double)a->covered / (double)a->count,
                   100.0 * (double)b->covered / (double)b->count, (a->width + b->width) / (double)count,
                   (double)ratio[count * 9 / 10]);
            free(ratio);
        }
        printf("\n");
    }
    return 0;
}
