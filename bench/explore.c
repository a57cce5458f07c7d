// SPDX-License-Identifier: MIT
// Exploring, comparing, selecting on real evaluations: each use the paper's way and ours, with the targets of the issue.
//
//     make reproduce        runs it after bench/reproduce.c: bench/RESULTS-explore.md
//
// A pool is fitted as in bench/reproduce.c (net, embeddings, memory from N training queries; its nets are used where they
// are), calibrated on the validation part, and explored with what it predicts for the validation queries. Figures are of
// the test part.
#if !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#if !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1
#endif

#define LOCUS_IMPLEMENTATION
#include "../locus.h"

#include "baselines.h"
#include "locus_method.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "dataset.h"

enum { EVALUATIONS = 1024, SEEDS = 3, CATEGORIES = 14, NEIGHBOURS = 10, FOLDS = 4, ASKED = 48, BATCH = 4 };

typedef struct setting { // a fitted pool and what is known of its models
    const dataset *d;
    const pool *p;
    size_t models, seed;
    evaluations e;
    locus_state *state;
    float *logits[3], *profiles[3];  // of the parts: [n, M], [M, n]; calibrated
    unsigned char *scores[3];        // [M, n]
    int32_t *category[3];
} setting;

static locus_error err;
static FILE *out;
static size_t met, targets;

static void target(int is_met, const char *what, const char *format, ...)
{
    va_list list;
    targets++;
    met += (size_t)(is_met != 0);
    fprintf(out, "| %s | ", what);
    va_start(list, format);
    vfprintf(out, format, list);
    va_end(list);
    fprintf(out, " | %s |\n", is_met ? "met" : "**not met**");
}

static void *with_work(size_t bytes) { return base_alloc(bytes + 1, 1); }

// ------------------------------------------------------------------------------------------------------------ setting

static void predict_parts(setting *s)
{
    for (size_t part = 0; part < 3; part++) {
        const split_rows *r = &s->d->part[part];
        const size_t n = part ? r->count : s->e.rows;
        const float *enc = part ? r->enc : s->e.enc;
        free(s->logits[part]);
        free(s->profiles[part]);
        s->logits[part] = base_floats(n * s->models);
        s->profiles[part] = base_floats(n * s->models);
        locus_method_predict(s->state, enc, n, s->logits[part]);
        for (size_t i = 0; i < n; i++)
            for (size_t m = 0; m < s->models; m++)
                s->profiles[part][m * n + i] = (float)locus_probability((double)s->logits[part][i * s->models + m]);
    }
}

static void open_setting(setting *s, const dataset *d, const pool *p, size_t rows, size_t seed, int calibrate)
{
    base_data b;
    memset(s, 0, sizeof *s);
    s->d = d;
    s->p = p;
    s->models = p->count;
    s->seed = seed;
    make_evaluations(d, p->members, p->count, rows, seed, &s->e, &b);
    s->state = (locus_state *)locus_fit(&b);
    if (!s->state) die("fit", "failed");
    for (size_t part = 0; part < 3; part++) {
        const size_t n = part ? d->part[part].count : s->e.rows;
        const size_t *columns = part ? d->part[part].columns : s->e.columns;
        s->scores[part] = gather(d, p->members, p->count, columns, n);
        s->category[part] = (int32_t *)base_alloc(n, sizeof(int32_t));
        for (size_t i = 0; i < n; i++) s->category[part][i] = d->category[columns[i]];
    }
    if (calibrate) {
        const split_rows *v = &d->part[1];
        locus_evals held = locus_evals_of(v->enc, v->count, d->dim, p->count, s->scores[1]);
        check(locus_pool_calibrate(s->state->pool, &held, NULL, &err), &err);
    }
    predict_parts(s);
}

static void close_setting(setting *s)
{
    for (size_t part = 0; part < 3; part++) {
        free(s->logits[part]);
        free(s->profiles[part]);
        free(s->scores[part]);
        free(s->category[part]);
    }
    locus_release(s->state);
    free_evaluations(&s->e);
}

static locus_points profile_points(const setting *s, size_t part)
{
    locus_points p;
    memset(&p, 0, sizeof p);
    p.rows = s->profiles[part];
    p.count = s->models;
    p.dim = part ? s->d->part[part].count : s->e.rows;
    return p;
}

// Share of test queries that the model chosen among `allowed` (NULL: all) answers; a missing score is a miss.
static double routing(const setting *s, const unsigned char *allowed)
{
    const size_t n = s->d->part[2].count, M = s->models;
    double right = 0.0;
    for (size_t i = 0; i < n; i++) {
        size_t best = SIZE_MAX;
        for (size_t m = 0; m < M; m++)
            if ((!allowed || allowed[m]) && (best == SIZE_MAX || s->logits[2][i * M + m] > s->logits[2][i * M + best]))
                best = m;
        right += best != SIZE_MAX && s->scores[2][best * n + i] == 1;
    }
    return right / (double)n;
}

static double accuracy(const setting *s, size_t part, size_t model)
{
    const size_t n = part ? s->d->part[part].count : s->e.rows;
    return mean_score(s->scores[part] + model * n, n);
}

static double best_single(const setting *s) // chosen on training data
{
    size_t best = 0;
    const size_t n = s->d->part[2].count;
    double right = 0.0;
    for (size_t m = 1; m < s->models; m++)
        if (accuracy(s, 0, m) > accuracy(s, 0, best)) best = m;
    for (size_t i = 0; i < n; i++) right += s->scores[2][best * n + i] == 1;
    return right / (double)n;
}

typedef struct mean_sd {
    double sum, squares, count;
} mean_sd;

static void add(mean_sd *a, double x)
{
    a->sum += x;
    a->squares += x * x;
    a->count += 1.0;
}
static double mean_of(const mean_sd *a) { return a->count > 0.0 ? a->sum / a->count : NAN; }
static double sd_of(const mean_sd *a)
{
    const double m = mean_of(a), v = a->count > 1.0 ? (a->squares - a->count * m * m) / (a->count - 1.0) : 0.0;
    return v > 0.0 ? sqrt(v) : 0.0;
}

// -------------------------------------------------------------------------------------------------------- calibration

static double ece_of(const setting *s, locus_bin bins[15])
{
    double ece = 0.0;
    locus_scores scores;
    memset(&scores, 0, sizeof scores);
    scores.models = s->models;
    scores.stride = s->d->part[2].count;
    scores.scores_u8 = s->scores[2];
    check(locus_reliability(s->logits[2], scores.stride, &scores, NULL, SIZE_MAX, bins, 15, &ece, &err), &err);
    return ece;
}

static void calibration(const dataset *d, const pool *pools, size_t seeds)
{
    static const size_t sizes[] = {64, 128, 256, 512, 1024, 2048, 4096};
    enum { SIZES = (int)(sizeof sizes / sizeof *sizes) };
    static mean_sd ece[2][2][SIZES], hit[2][2][SIZES];
    double worst = 0.0;
    locus_bin bins[15];
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < SIZES; i++)
            for (size_t seed = 0; seed < seeds; seed++)
                for (int on = 0; on < 2; on++) {
                    setting s;
                    double e;
                    open_setting(&s, d, &pools[k], sizes[i], seed, on);
                    e = ece_of(&s, bins);
                    add(&ece[k][on][i], 100.0 * e);
                    add(&hit[k][on][i], 100.0 * routing(&s, NULL));
                    if (on && e > worst) worst = e;
                    close_setting(&s);
                }
    fprintf(out, "## Calibration (2)\n\nExpected calibration error on the test part (15 bins, %%), before and after "
                 "locus_pool_calibrate on the validation part, and routing\naccuracy, by evaluations per model.\n\n");
    for (size_t k = 0; k < 2; k++) {
        fprintf(out, "| %s |", k ? "all 33" : "open 26");
        for (size_t i = 0; i < SIZES; i++) fprintf(out, " %u |", (unsigned)sizes[i]);
        fprintf(out, "\n| --- |");
        for (size_t i = 0; i < SIZES; i++) fprintf(out, " ---: |");
        for (int row = 0; row < 4; row++) {
            static const char *const names[] = {"ECE before", "ECE after", "hit@1 before", "hit@1 after"};
            fprintf(out, "\n| %s |", names[row]);
            for (size_t i = 0; i < SIZES; i++)
                fprintf(out, " %.2f |", mean_of(row < 2 ? &ece[k][row][i] : &hit[k][row - 2][i]));
        }
        fprintf(out, "\n\n");
    }
    fprintf(out, "| target | measured | |\n| --- | --- | --- |\n");
    target(worst <= 0.02, "expected calibration error at most 0.02 at every size, pool and seed", "worst %.4f", worst);
    fprintf(out, "\n");
}

// ------------------------------------------------------------------------------------------------------------ proxies

enum { BY_COSINE, BY_EUCLIDEAN, BY_PROFILE, BY_PREDICTED, BY_ANSWERS, PROXY_WAYS };
static const char *const proxy_names[] = {"cosine of embeddings (paper)", "Euclidean distance of embeddings",
                                          "Euclidean distance of profiles", "predicted disagreement",
                                          "observed agreement on the training queries"};

// order[M - 1] <- the other models, nearest first
static void proxies(const setting *s, int way, size_t model, size_t *order)
{
    const size_t M = s->models;
    locus_neighbour list[MAX_POOL];
    locus_points points = way < BY_PROFILE ? locus_pool_points(s->state->pool) : profile_points(s, 1), one;
    locus_explore_opts o;
    unsigned char others[MAX_POOL];
    memset(&o, 0, sizeof o);
    memset(others, 1, sizeof others);
    others[model] = 0;
    if (way == BY_ANSWERS) {
        double d[MAX_POOL];
        size_t n = 0;
        for (size_t m = 0; m < M; m++) {
            size_t at = n;
            if (m == model) continue;
            d[m] = disagreement(s->scores[0] + m * s->e.rows, s->scores[0] + model * s->e.rows, s->e.rows);
            for (; at > 0 && d[order[at - 1]] > d[m]; at--) order[at] = order[at - 1];
            order[at] = m;
            n++;
        }
        return;
    }
    o.metric = way == BY_COSINE ? LOCUS_COSINE : way == BY_PREDICTED ? LOCUS_DISAGREEMENT : LOCUS_EUCLIDEAN;
    o.available = others;
    one = points;
    one.rows += model * (points.stride ? points.stride : points.dim);
    one.count = 1;
    {
        const size_t bytes = locus_neighbours_workspace(&points, &one, M - 1, &o);
        void *work = with_work(bytes);
        check(locus_neighbours(&points, &one, M - 1, list, &o, work, bytes, &err), &err);
        free(work);
    }
    for (size_t i = 0; i + 1 < M; i++) order[i] = list[i].index;
}

static void proxy_tables(const dataset *d, const pool *pools, size_t seeds)
{
    fprintf(out, "## Neighbours and proxies (4)\n\nAgreement of each model with its k-th neighbour on the test part, %%, mean "
                 "over models and seeds; and routing accuracy kept when every choice is\nreplaced by its first stand-in, "
                 "%% of the full pool's. Published: agreement 79.0 for k = 1, 76.3 for k = 10.\n\n");
    for (size_t k = 0; k < 2; k++) {
        static mean_sd agree[PROXY_WAYS][NEIGHBOURS], kept[PROXY_WAYS], next;
        memset(agree, 0, sizeof agree);
        memset(kept, 0, sizeof kept);
        memset(&next, 0, sizeof next);
        for (size_t seed = 0; seed < seeds; seed++) {
            setting s;
            open_setting(&s, d, &pools[k], EVALUATIONS, seed, 1);
            const size_t n = d->part[2].count, M = s.models;
            const double full = routing(&s, NULL);
            for (int way = 0; way < PROXY_WAYS; way++) {
                size_t first[MAX_POOL];
                double right = 0.0;
                for (size_t m = 0; m < M; m++) {
                    size_t order[MAX_POOL];
                    proxies(&s, way, m, order);
                    first[m] = order[0];
                    for (size_t i = 0; i < NEIGHBOURS; i++)
                        add(&agree[way][i],
                            100.0 - 100.0 * disagreement(s.scores[2] + m * n, s.scores[2] + order[i] * n, n));
                }
                for (size_t i = 0; i < n; i++) {
                    size_t best = 0;
                    for (size_t m = 1; m < M; m++)
                        if (s.logits[2][i * M + m] > s.logits[2][i * M + best]) best = m;
                    right += s.scores[2][first[best] * n + i] == 1;
                }
                add(&kept[way], 100.0 * right / (double)n / full);
            }
            {
                double right = 0.0;
                for (size_t i = 0; i < n; i++) { // the second best for each query
                    size_t best = 0, second = SIZE_MAX;
                    for (size_t m = 1; m < M; m++)
                        if (s.logits[2][i * M + m] > s.logits[2][i * M + best]) best = m;
                    for (size_t m = 0; m < M; m++)
                        if (m != best &&
                            (second == SIZE_MAX || s.logits[2][i * M + m] > s.logits[2][i * M + second]))
                            second = m;
                    right += s.scores[2][second * n + i] == 1;
                }
                add(&next, 100.0 * right / (double)n / full);
            }
            close_setting(&s);
        }
        fprintf(out, "| %s | k = 1 | 2 | 3 | 5 | 10 | routing kept |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
                k ? "all 33" : "open 26");
        for (int way = 0; way < PROXY_WAYS; way++)
            fprintf(out, "| %s | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f |\n", proxy_names[way], mean_of(&agree[way][0]),
                    mean_of(&agree[way][1]), mean_of(&agree[way][2]), mean_of(&agree[way][4]), mean_of(&agree[way][9]),
                    mean_of(&kept[way]));
        fprintf(out, "| next best of each query | | | | | | %.2f |\n\n", mean_of(&next));
        fprintf(out, "| target | measured | |\n| --- | --- | --- |\n");
        target(mean_of(&agree[BY_PREDICTED][0]) > mean_of(&agree[BY_COSINE][0]),
               "stand-in by predicted agreement: above the nearest by cosine in real agreement", "%.2f against %.2f %%",
               mean_of(&agree[BY_PREDICTED][0]), mean_of(&agree[BY_COSINE][0]));
        target(mean_of(&kept[BY_PREDICTED]) > mean_of(&kept[BY_COSINE]), "and in routing accuracy kept",
               "%.2f against %.2f %%", mean_of(&kept[BY_PREDICTED]), mean_of(&kept[BY_COSINE]));
        target(mean_of(&agree[BY_PREDICTED][0]) > 79.0, "above the paper's 79 % agreement", "%.2f %%",
               mean_of(&agree[BY_PREDICTED][0]));
        target(mean_of(&kept[BY_PREDICTED]) > 85.0, "above the paper's 85 % of routing accuracy", "%.2f %%",
               mean_of(&kept[BY_PREDICTED]));
        fprintf(out, "\n");
    }
}
