// SPDX-License-Identifier: MIT
// Exploring, comparing, selecting on real evaluations: each use the paper's way and ours, with the targets of the
// issue.
//
//     make reproduce-explore        runs it: bench/RESULTS-explore.md
//
// A pool is fitted as in bench/experiments/reproduce.c (net, embeddings, memory from N training queries; its nets are
// used where they are), calibrated on the validation part, and explored with what it predicts for the validation
// queries. Figures are of the test part.
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
    float *logits[3],
        *profiles[5];         // of the parts: [n, M], [M, n]; calibrated; [3], [4]: training, test, answers put in
    unsigned char *scores[3]; // [M, n]
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

// The pool's embeddings side by side.
static locus_points embeddings_of(const locus_state *state)
{
    static float rows[MAX_POOL * 256];
    locus_points p;
    memset(&p, 0, sizeof p);
    p.rows = rows;
    p.count = locus_pool_count(state->pool);
    p.dim = state->info.z_dim;
    if (p.count > MAX_POOL || p.dim > 256) die("embeddings", "too many");
    for (size_t m = 0; m < p.count; m++)
        memcpy(rows + m * p.dim, locus_pool_embedding(state->pool, m), p.dim * sizeof *rows);
    return p;
}

// What has been answered is known.
static void put_known(float *profiles, const unsigned char *scores, size_t cells)
{
    for (size_t i = 0; i < cells; i++)
        if (scores[i] != 255) profiles[i] = (float)scores[i];
}

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
    s->profiles[3] = base_floats(s->models * s->e.rows);
    memcpy(s->profiles[3], s->profiles[0], s->models * s->e.rows * sizeof(float));
    put_known(s->profiles[3], s->scores[0], s->models * s->e.rows);
    s->profiles[4] = base_floats(s->models * d->part[2].count);
    memcpy(s->profiles[4], s->profiles[2], s->models * d->part[2].count * sizeof(float));
    put_known(s->profiles[4], s->scores[2], s->models * d->part[2].count);
}

static void close_setting(setting *s)
{
    for (size_t part = 0; part < 3; part++) {
        free(s->logits[part]);
        free(s->profiles[part]);
        free(s->scores[part]);
        free(s->category[part]);
    }
    free(s->profiles[3]);
    free(s->profiles[4]);
    locus_release(s->state);
    free_evaluations(&s->e);
}

static locus_points profile_points(const setting *s, size_t part)
{
    locus_points p;
    memset(&p, 0, sizeof p);
    p.rows = s->profiles[part];
    p.count = s->models;
    p.dim = part == 4 ? s->d->part[2].count : part % 3 ? s->d->part[part].count : s->e.rows;
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

typedef struct average {
    double sum, count;
} average;

static void add(average *a, double x)
{
    a->sum += x;
    a->count += 1.0;
}
static double mean_of(const average *a) { return a->count > 0.0 ? a->sum / a->count : NAN; }

// -------------------------------------------------------------------------------------------------------- calibration

static double ece_of(const setting *s, locus_bin bins[15])
{
    double ece = 0.0;
    locus_scores scores;
    memset(&scores, 0, sizeof scores);
    scores.models = s->models;
    scores.count = s->d->part[2].count;
    scores.u8 = s->scores[2];
    check(locus_reliability(s->logits[2], scores.count, &scores, NULL, SIZE_MAX, bins, 15, &ece, &err), &err);
    return ece;
}

static void calibration(const dataset *d, const pool *pools, size_t seeds)
{
    static const size_t sizes[] = {64, 128, 256, 512, 1024, 2048, 4096};
    enum { SIZES = (int)(sizeof sizes / sizeof *sizes) };
    static average ece[2][2][SIZES], hit[2][2][SIZES];
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

enum { BY_COSINE, BY_EUCLIDEAN, BY_PROFILE, BY_CHANCES, BY_KNOWN, BY_USE, BY_TRUTH, PROXY_WAYS };
static const char *const proxy_names[] = {"cosine of embeddings (paper)",
                                          "Euclidean distance of embeddings",
                                          "Euclidean distance of profiles",
                                          "predicted disagreement, chances alone",
                                          "predicted disagreement, known answers put in (ours)",
                                          "highest mean chance where the model is chosen (ours)",
                                          "agreement on the test part itself: the limit"};

// The profiles over the validation queries for which the model is chosen, and as the row to be near to: always right.
// 0: it is chosen too seldom to tell.
static int use_profiles(const setting *s, size_t model, locus_points *points, locus_points *wish)
{
    const size_t n = s->d->part[1].count, M = s->models;
    size_t *rows = (size_t *)base_alloc(n, sizeof *rows), count = 0;
    for (size_t i = 0; i < n; i++) {
        size_t best = 0;
        for (size_t m = 1; m < M; m++)
            if (s->logits[1][i * M + m] > s->logits[1][i * M + best]) best = m;
        if (best == model) rows[count++] = i;
    }
    if (count >= 20) {
        float *part = base_floats(M * count), *right = base_floats(count);
        for (size_t i = 0; i < count; i++) {
            right[i] = 1.0f;
            for (size_t m = 0; m < M; m++) part[m * count + i] = s->profiles[1][m * n + rows[i]];
        }
        points->rows = part;
        points->dim = count;
        points->stride = 0;
        *wish = *points;
        wish->rows = right;
    }
    free(rows);
    return count >= 20;
}

// order[M - 1] <- the other models, nearest first
static void proxies(const setting *s, int way, size_t model, size_t *order)
{
    const size_t M = s->models;
    locus_neighbour list[MAX_POOL];
    const size_t part = way == BY_TRUTH ? 4 : way >= BY_KNOWN ? 3 : 1;
    locus_points points = way < BY_PROFILE ? embeddings_of(s->state) : profile_points(s, part), one;
    locus_metric metric = way == BY_COSINE ? LOCUS_COSINE : way >= BY_CHANCES ? LOCUS_DISAGREEMENT : LOCUS_EUCLIDEAN;
    unsigned char others[MAX_POOL];
    memset(others, 1, sizeof others);
    others[model] = 0;
    one = points;
    one.rows += model * (points.stride ? points.stride : points.dim);
    if (way == BY_USE && use_profiles(s, model, &points, &one)) metric = LOCUS_DISAGREEMENT;
    one.count = 1;
    {
        check(locus_neighbours(&points, &one, metric, others, M - 1, list, NULL, &err), &err);
    }
    for (size_t i = 0; i + 1 < M; i++) order[i] = list[i].index;
    if (way == BY_USE && points.rows != s->profiles[3]) {
        free((void *)(uintptr_t)points.rows);
        free((void *)(uintptr_t)one.rows);
    }
}

static void proxy_tables(const dataset *d, const pool *pools, size_t seeds)
{
    fprintf(
        out,
        "## Neighbours and proxies (4)\n\nAgreement of each model with its k-th neighbour on the test part, %%, mean "
        "over models and seeds; and routing accuracy kept when every choice is\nreplaced by its first stand-in, "
        "%% of the full pool's. Published: agreement 79.0 for k = 1, 76.3 for k = 10.\n\n");
    for (size_t k = 0; k < 2; k++) {
        static average agree[PROXY_WAYS][NEIGHBOURS], kept[PROXY_WAYS], next;
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
                        if (m != best && (second == SIZE_MAX || s.logits[2][i * M + m] > s.logits[2][i * M + second]))
                            second = m;
                    right += s.scores[2][second * n + i] == 1;
                }
                add(&next, 100.0 * right / (double)n / full);
            }
            close_setting(&s);
        }
        fprintf(out,
                "| %s | k = 1 | 2 | 3 | 5 | 10 | routing kept |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
                k ? "all 33" : "open 26");
        for (int way = 0; way < PROXY_WAYS; way++)
            fprintf(out, "| %s | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f |\n", proxy_names[way],
                    mean_of(&agree[way][0]), mean_of(&agree[way][1]), mean_of(&agree[way][2]), mean_of(&agree[way][4]),
                    mean_of(&agree[way][9]), mean_of(&kept[way]));
        fprintf(out, "| next best of each query | | | | | | %.2f |\n\n", mean_of(&next));
        fprintf(out, "| target | measured | |\n| --- | --- | --- |\n");
        target(mean_of(&agree[BY_KNOWN][0]) > mean_of(&agree[BY_COSINE][0]),
               "stand-in by predicted agreement: above the nearest by cosine in real agreement", "%.2f against %.2f %%",
               mean_of(&agree[BY_KNOWN][0]), mean_of(&agree[BY_COSINE][0]));
        target(mean_of(&kept[BY_USE]) >= mean_of(&kept[BY_COSINE]) - 1e-9,
               "stand-in by chances where the model is chosen: no worse than the nearest by cosine in routing accuracy "
               "kept",
               "%.2f against %.2f %%", mean_of(&kept[BY_USE]), mean_of(&kept[BY_COSINE]));
        target(mean_of(&kept[BY_KNOWN]) >= mean_of(&kept[BY_COSINE]) - 1e-9,
               "the stand-in by predicted agreement likewise", "%.2f against %.2f %%", mean_of(&kept[BY_KNOWN]),
               mean_of(&kept[BY_COSINE]));
        fprintf(out, "\n");
    }
}

// --------------------------------------------------------------------------------------------------------- portfolios

enum { BY_VALUE, BY_CENTERS, BY_MEDOIDS, BY_CENTERS_PROFILES, BY_MEDOIDS_PROFILES, PORTFOLIO_WAYS };
static const char *const portfolio_names[] = {"value (ours)", "k-center, cosine (paper)", "k-medoids, cosine (paper)",
                                              "k-center, profiles", "k-medoids, profiles"};
enum { LARGEST = 25 };

static void portfolio_picks(const setting *s, int way, size_t k, size_t *picks, double *value, double *bound)
{
    locus_points points = way == BY_CENTERS || way == BY_MEDOIDS ? embeddings_of(s->state) : profile_points(s, 1);
    const locus_metric metric = way == BY_CENTERS || way == BY_MEDOIDS ? LOCUS_COSINE : LOCUS_EUCLIDEAN;
    for (size_t i = 0; i < k; i++) picks[i] = SIZE_MAX;
    if (way == BY_VALUE) {
        locus_portfolio_opts po;
        locus_portfolio result;
        memset(&po, 0, sizeof po);
        po.count = k;
        check(locus_portfolio_choose(&points, &po, picks, NULL, &result, NULL, &err), &err);
        for (size_t i = result.count; i < k; i++) picks[i] = SIZE_MAX;
        *value = result.value;
        *bound = result.bound;
    } else if (way == BY_CENTERS || way == BY_CENTERS_PROFILES) {
        check(locus_centers(&points, metric, NULL, k, picks, NULL, NULL, &err), &err);
    } else {
        check(locus_medoids(&points, metric, NULL, k, picks, NULL, NULL, NULL, &err), &err);
    }
}

static void portfolio_tables(const dataset *d, const pool *pools, size_t seeds)
{
    static const size_t shown[] = {1, 2, 3, 4, 5, 7, 10, 15, 20, 25};
    fprintf(out,
            "## Portfolios (6)\n\nRouting accuracy on the test part when only the chosen set may answer, %%. Chosen "
            "from embeddings, or from profiles over the validation queries.\nPublished, k = 1, 2, 3, 4, 5, 10, 15, 20: "
            "k-center 40.5, 40.2, 44.3, 44.3, 63.6, 63.5, 65.8, 65.7; k-medoids 40.5, 42.4, 50.6, 50.7, 50.5, 57.8, "
            "63.8, 65.8.\n\n");
    for (size_t k = 0; k < 2; k++) {
        static average right[PORTFOLIO_WAYS][LARGEST + 1], random[LARGEST + 1], single, gap;
        size_t below = 0, below_single = 0, worst_k = 0;
        double worst = 0.0;
        memset(right, 0, sizeof right);
        memset(random, 0, sizeof random);
        memset(&single, 0, sizeof single);
        memset(&gap, 0, sizeof gap);
        for (size_t seed = 0; seed < seeds; seed++) {
            setting s;
            uint64_t r = 77 + seed;
            open_setting(&s, d, &pools[k], EVALUATIONS, seed, 1);
            add(&single, 100.0 * best_single(&s));
            for (size_t size = 1; size <= LARGEST; size++) {
                unsigned char set[MAX_POOL];
                size_t picks[MAX_POOL];
                for (int way = 0; way < PORTFOLIO_WAYS; way++) {
                    double value = 0.0, bound = 0.0;
                    portfolio_picks(&s, way, size, picks, &value, &bound);
                    memset(set, 0, sizeof set);
                    for (size_t i = 0; i < size; i++)
                        if (picks[i] != SIZE_MAX) set[picks[i]] = 1;
                    add(&right[way][size], 100.0 * routing(&s, set));
                    if (way == BY_VALUE) add(&gap, 100.0 * (bound - value));
                }
                for (size_t draw = 0; draw < 50; draw++) {
                    for (size_t m = 0; m < s.models; m++) picks[m] = m;
                    base_shuffle(picks, s.models, &r);
                    memset(set, 0, sizeof set);
                    for (size_t i = 0; i < size; i++) set[picks[i]] = 1;
                    add(&random[size], 100.0 * routing(&s, set));
                }
            }
            close_setting(&s);
        }
        fprintf(out, "| %s |", k ? "all 33" : "open 26");
        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) fprintf(out, " %u |", (unsigned)shown[i]);
        fprintf(out, "\n| --- |");
        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) fprintf(out, " ---: |");
        for (int way = 0; way <= PORTFOLIO_WAYS; way++) {
            fprintf(out, "\n| %s |", way < PORTFOLIO_WAYS ? portfolio_names[way] : "random, mean of 50");
            for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
                fprintf(out, " %.2f |", mean_of(way < PORTFOLIO_WAYS ? &right[way][shown[i]] : &random[shown[i]]));
        }
        for (size_t size = 1; size <= LARGEST; size++) {
            double best = mean_of(&single);
            below_single += mean_of(&right[BY_VALUE][size]) < mean_of(&single) - 1e-9;
            for (int way = BY_CENTERS; way < PORTFOLIO_WAYS; way++)
                if (mean_of(&right[way][size]) > best) best = mean_of(&right[way][size]);
            if (mean_of(&right[BY_VALUE][size]) < best - 1e-9) below++;
            if (best - mean_of(&right[BY_VALUE][size]) > worst) {
                worst = best - mean_of(&right[BY_VALUE][size]);
                worst_k = size;
            }
        }
        fprintf(out,
                "\n\nBest single model (chosen on training data) %.2f %%. The bound lies %.3f points above the value "
                "on average.\n\n| target | measured | |\n| --- | --- | --- |\n",
                mean_of(&single), mean_of(&gap));
        target(below == 0, "at every k from 1 to 25 the value-aware set routes at least as well as every geometric one",
               "below at %u of 25, at most by %.2f points (k = %u)", (unsigned)below, worst, (unsigned)worst_k);
        target(below_single == 0, "and as the best single model", "below at %u of 25", (unsigned)below_single);
        fprintf(out, "\n");
    }
}

// ------------------------------------------------------------------------------------------------------------- search

typedef struct wished { // in a category; weight 0: nobody cares
    double accuracy, weight;
} wished;

// Mean of a profile over the queries of a category
static double category_mean(const float *profile, const int32_t *category, size_t n, size_t c)
{
    double sum = 0.0, count = 0.0;
    for (size_t i = 0; i < n; i++)
        if (category[i] == (int32_t)c) sum += (double)profile[i], count += 1.0;
    return sum / count;
}

// found[k] <- the models whose means come nearest to the wish, by the weighted squared gap
static void search(const double *means, size_t models, const wished *wish, size_t k, size_t *found)
{
    double gaps[MAX_POOL];
    for (size_t m = 0; m < models; m++) {
        gaps[m] = 0.0;
        for (size_t c = 0; c < CATEGORIES; c++) {
            const double gap = means[m * CATEGORIES + c] - wish[c].accuracy;
            if (gap == gap) gaps[m] += wish[c].weight * gap * gap;
        }
    }
    for (size_t i = 0; i < k; i++) {
        size_t best = SIZE_MAX;
        for (size_t m = 0; m < models; m++)
            if (gaps[m] >= 0.0 && (best == SIZE_MAX || gaps[m] < gaps[best])) best = m;
        found[i] = best;
        if (best != SIZE_MAX) gaps[best] = -1.0;
    }
}

// scores[n] <- 0/1 drawn at the wished rates, each category's as exactly as can be (Knuth's algorithm S)
static void imagine(const int32_t *category, size_t n, const wished *wish, uint64_t seed, unsigned char *scores)
{
    memset(scores, 255, n);
    for (size_t c = 0; c < CATEGORIES; c++) {
        size_t left = 0, right;
        if (!(wish[c].weight > 0.0)) continue;
        for (size_t i = 0; i < n; i++) left += category[i] == (int32_t)c;
        right = (size_t)(wish[c].accuracy * (double)left + 0.5);
        for (size_t i = 0; i < n; i++) {
            if (category[i] != (int32_t)c) continue;
            const uint64_t bits = locusi_mix(locusi_mix(seed + 0x9e3779b97f4a7c15u) + i);
            scores[i] = (double)(bits >> 11) / 9007199254740992.0 * (double)left < (double)right;
            right -= scores[i];
            left--;
        }
    }
}

static void search_tables(const dataset *d, const pool *pools, size_t seeds)
{
    fprintf(out, "## Search by profile (7)\n\nThe wish is a model's own accuracy in each of 14 categories on the test "
                 "part; found: "
                 "the share of models that are among the first 1, 5, 10 results.\n\n| way | pool | recall@1 | @5 | @10 "
                 "|\n| --- | --- | ---: | ---: | ---: |\n");
    for (size_t k = 0; k < 2; k++) {
        static average found[2][3];
        memset(found, 0, sizeof found);
        for (size_t seed = 0; seed < seeds; seed++) {
            setting s;
            open_setting(&s, d, &pools[k], EVALUATIONS, seed, 1);
            const size_t M = s.models, n = d->part[2].count, valid = d->part[1].count;
            double *means = (double *)base_alloc(M * CATEGORIES, sizeof *means);
            locus_points profiles = profile_points(&s, 1), embeddings = embeddings_of(s.state);
            for (size_t i = 0; i < M * CATEGORIES; i++)
                means[i] = category_mean(profiles.rows + i / CATEGORIES * valid, s.category[1], valid, i % CATEGORIES);
            for (size_t m = 0; m < M; m++) {
                wished wish[CATEGORIES];
                size_t match[NEIGHBOURS];
                locus_neighbour near[NEIGHBOURS];
                static const size_t tops[] = {1, 5, 10};
                for (size_t c = 0; c < CATEGORIES; c++) {
                    double right = 0.0, count = 0.0;
                    for (size_t i = 0; i < n; i++) {
                        if (s.category[2][i] != (int32_t)c || s.scores[2][m * n + i] == 255) continue;
                        right += s.scores[2][m * n + i];
                        count += 1.0;
                    }
                    wish[c].accuracy = count > 0.0 ? right / count : 0.5;
                    wish[c].weight = count;
                }
                search(means, M, wish, NEIGHBOURS, match);
                unsigned char *scores = (unsigned char *)base_alloc(valid, 1);
                float *z = base_floats(s.state->info.z_dim);
                imagine(s.category[1], valid, wish, seed, scores);
                locus_evals e = locus_evals_of(d->part[1].enc, valid, d->dim, 1, scores);
                if (locus_embed(s.state->net, &e, z)) die("search", "embedding failed");
                locus_points one;
                memset(&one, 0, sizeof one);
                one.rows = z;
                one.count = 1;
                one.dim = s.state->info.z_dim;
                check(locus_neighbours(&embeddings, &one, LOCUS_COSINE, NULL, NEIGHBOURS, near, NULL, &err), &err);
                for (size_t t = 0; t < 3; t++) {
                    double hit[2] = {0.0, 0.0};
                    for (size_t i = 0; i < tops[t]; i++) {
                        hit[0] += match[i] == m;
                        hit[1] += near[i].index == m;
                    }
                    add(&found[0][t], 100.0 * hit[0]);
                    add(&found[1][t], 100.0 * hit[1]);
                }
                free(z);
                free(scores);
            }
            free(means);
            close_setting(&s);
        }
        for (int way = 0; way < 2; way++)
            fprintf(out, "| %s | %s | %.1f | %.1f | %.1f |\n",
                    way ? "imagined evaluations, embedded (paper)" : "predicted accuracies (ours)",
                    k ? "all 33" : "open 26", mean_of(&found[way][0]), mean_of(&found[way][1]),
                    mean_of(&found[way][2]));
    }
    fprintf(out, "\n");
}

// --------------------------------------------------------------------------------------------- duplicates and watching

static void duplicate_tables(const dataset *d, const pool *pools)
{
    setting s;
    open_setting(&s, d, &pools[1], EVALUATIONS, 0, 1);
    const size_t M = s.models, n = d->part[2].count, pairs = M * (M - 1) / 2;
    locus_points profiles = profile_points(&s, 2);
    const locus_scores scores = {M, n, 0, NULL, s.scores[2], NULL};
    locus_likeness like;
    uint64_t r = 4242;
    fprintf(
        out,
        "## Duplicates and silent swaps (8)\n\nAll %u pairs of the 33 models, their answers to the test queries. "
        "Flagged: p below 0.01 / pairs. None of them is one model twice: nearest in kind are\nreleases of one "
        "family. A twin is a model's own answers of which a share is turned over at random.\n\n"
        "| correlation assumed | pairs flagged | twins (5 %% noise) found from 50 / 100 / 200 shared answers, %% |\n"
        "| --- | ---: | ---: |\n",
        (unsigned)pairs);
    static const double quantiles[] = {-1.0, 0.0, 0.95, 0.99};
    static const size_t shared_counts[] = {50, 100, 200};
    double flagged95 = 0.0;
    for (size_t q = 0; q < 4; q++) {
        double c = 0.0, flagged = 0.0, twins[3] = {0.0, 0.0, 0.0}, p = 1.0;
        char first[200] = "";
        if (quantiles[q] >= 0.0) {
            double mean;
            check(locus_answer_correlation(&profiles, &scores, quantiles[q], &mean, &c, NULL, &err), &err);
            if (quantiles[q] <= 0.0) c = mean;
        }
        for (size_t a = 0; a < M; a++)
            for (size_t b = 0; b < a; b++) {
                check(locus_same_answers(&like, s.profiles[2] + a * n, s.profiles[2] + b * n, &scores, a, b, c, NULL,
                                         &err),
                      &err);
                p = like.p;
                if (p * (double)pairs < 0.01) {
                    flagged += 1.0;
                    if (flagged <= 2.0)
                        snprintf(first + strlen(first), sizeof first - strlen(first), " %s / %s;",
                                 d->names[s.p->members[a]], d->names[s.p->members[b]]);
                }
            }
        for (size_t t = 0; t < 3; t++)
            for (size_t a = 0; a < M; a++) {
                const size_t most = shared_counts[t];
                unsigned char y[2][256], *ya = y[0], *yb = y[1];
                const locus_scores two = {2, most, 256, NULL, y[0], NULL};
                float pa[256];
                for (size_t i = 0; i < most; i++) {
                    const size_t at = (size_t)(base_next(&r) % n);
                    ya[i] = yb[i] = s.scores[2][a * n + at];
                    if (ya[i] != 255 && base_next(&r) % 100 < 5) yb[i] = (unsigned char)(1 - ya[i]);
                    pa[i] = s.profiles[2][a * n + at];
                }
                check(locus_same_answers(&like, pa, pa, &two, 0, 1, c, NULL, &err), &err);
                twins[t] += like.p * (double)pairs < 0.01 ? 100.0 / (double)M : 0.0;
            }
        if (quantiles[q] > 0.9 && quantiles[q] < 0.96) flagged95 = flagged;
        fprintf(out, "| %s%.3f | %.0f%s%s | %.0f / %.0f / %.0f |\n",
                quantiles[q] < 0.0    ? "none: independent, "
                : quantiles[q] < 0.01 ? "the pool's mean, "
                : quantiles[q] < 0.96 ? "the pool's 0.95 quantile, "
                                      : "the pool's 0.99 quantile, ",
                c, flagged, flagged < 3.0 && flagged > 0.0 ? ":" : "", flagged < 3.0 ? first : "", twins[0], twins[1],
                twins[2]);
    }
    // The watch, by predictions: each model's own test answers in random order against its predictions; then another's.
    double alarms = 0.0, streams = 0.0, canary_alarms = 0.0;
    double *waits = (double *)base_alloc(M * M, sizeof *waits), *canary = (double *)base_alloc(M * M, sizeof *canary);
    size_t noticed = 0, all = 0, noticed_canary = 0;
    size_t *order = (size_t *)base_alloc(n, sizeof *order);
    for (size_t a = 0; a < M; a++)
        for (size_t b = 0; b < M; b++) { // b answers for a
            for (size_t round = 0; round < (a == b ? 20u : 1u); round++) {
                locus_watch w, c;
                double at = 0.0, canary_at = 0.0;
                memset(&w, 0, sizeof w);
                memset(&c, 0, sizeof c);
                for (size_t i = 0; i < n; i++) order[i] = i;
                base_shuffle(order, n, &r);
                for (size_t i = 0; i < n; i++) {
                    const unsigned char y = s.scores[2][b * n + order[i]], was = s.scores[2][a * n + order[i]];
                    unsigned char again = y;
                    if (y == 255 || was == 255) continue;
                    if (base_next(&r) % 100 < 5) again = (unsigned char)(1 - y);
                    if (locus_watch_add(&w, (double)s.profiles[2][a * n + order[i]], (double)y) >= 20.0 && at <= 0.0)
                        at = (double)(i + 1);
                    if (locus_watch_add(&c, was ? 0.95 : 0.05, (double)again) >= 20.0 && canary_at <= 0.0)
                        canary_at = (double)(i + 1);
                }
                if (a == b) {
                    streams += 1.0;
                    alarms += at > 0.0;
                    canary_alarms += canary_at > 0.0;
                } else {
                    all++;
                    if (at > 0.0) waits[noticed++] = at;
                    if (canary_at > 0.0) canary[noticed_canary++] = canary_at;
                }
            }
        }
    fprintf(
        out,
        "\nThe watch at 1 / alpha = 20, every model's real answers in random order, %u swaps and %.0f streams of the "
        "model itself:\n\n| stream | false alarms, %% | swaps noticed, %% | after answers, median |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| new queries against predictions | %.1f | %.1f | %.0f |\n"
        "| canaries: known answers, 5 %% noise | %.1f | %.1f | %.0f |\n\n| target | measured | |\n| --- | --- | --- "
        "|\n",
        (unsigned)all, streams, 100.0 * alarms / streams, 100.0 * (double)noticed / (double)all,
        median_of(waits, noticed), 100.0 * canary_alarms / streams, 100.0 * (double)noticed_canary / (double)all,
        median_of(canary, noticed_canary));
    target(alarms / streams <= 0.05 && canary_alarms / streams <= 0.05, "false alarms at most the stated 5 %",
           "%.1f and %.1f %%", 100.0 * alarms / streams, 100.0 * canary_alarms / streams);
    target(flagged95 <= 0.05 * (double)pairs, "different models are seldom called copies", "%.0f of %u pairs",
           flagged95, (unsigned)pairs);
    fprintf(out, "\n");
    free(waits);
    free(canary);
    free(order);
    close_setting(&s);
}

// ------------------------------------------------------------------------------------------------ what to evaluate
// next

enum {
    NEXT_RANDOM_48,
    NEXT_RANDOM_128,
    NEXT_ADAPTIVE_32,
    NEXT_ADAPTIVE_48,
    NEXT_STOPPED,
    NEXT_CHOSEN_ALONE,
    NEXT_WAYS
};
static const char *const next_names[] = {"48 at random",
                                         "128 at random",
                                         "32 chosen, completed",
                                         "48 chosen, completed",
                                         "until `enough`, completed",
                                         "48 chosen, encoded as they are"};

typedef struct next_figures {
    average prediction, brier, accuracy, rank, asked;
} next_figures;

// The model is the pool's last: its figures on the test part, then it is taken out.
static void judge_next(setting *s, size_t row, double asked, next_figures *f)
{
    const split_rows *test = &s->d->part[2];
    const size_t M = locus_pool_count(s->state->pool), n = test->count;
    float *logits = base_floats(n * M);
    double right = 0.0, squares = 0.0, mean = 0.0, truth = 0.0, count = 0.0, place = 0.0, true_place = 0.0;
    locus_method_predict(s->state, test->enc, n, logits);
    for (size_t i = 0; i < n; i++) {
        const float y = s->d->scores[row * s->d->queries + test->columns[i]];
        const double p = locus_probability((double)logits[i * M + M - 1]);
        if (isnan(y)) continue;
        right += (p >= 0.5) == (y > 0.5f);
        squares += (p - (double)y) * (p - (double)y);
        mean += p;
        truth += (double)y;
        count += 1.0;
    }
    for (size_t m = 0; m + 1 < M; m++) {
        const double other = mean_score(s->scores[2] + m * n, n);
        place += other > mean / count;
        true_place += other > truth / count;
    }
    add(&f->prediction, 100.0 * right / count);
    add(&f->brier, squares / count);
    add(&f->accuracy, 100.0 * fabs(mean - truth) / count);
    add(&f->rank, fabs(place - true_place));
    add(&f->asked, asked);
    check(locus_pool_remove(s->state->pool, M - 1, &err), &err);
    free(logits);
}

static void join_next(setting *s, const unsigned char *scores, int complete)
{
    locus_evals e = locus_evals_of(s->e.enc, s->e.rows, s->d->dim, 1, scores);
    float *full = base_floats(s->e.rows), *z = base_floats(s->state->info.z_dim);
    unsigned char *answers = (unsigned char *)base_alloc(s->e.rows, 1);
    if (complete) {
        locus_next_opts o;
        memset(&o, 0, sizeof o);
        o.chances = full;
        o.answers = answers;
        check(locus_next_evaluations(s->state->pool, &e, &o, NULL, NULL, NULL, &err), &err);
        e.scores.u8 = answers;
    }
    if (locus_embed(s->state->net, &e, z) || locus_append(s->state, z)) die("next", "failed");
    if (complete) {
        e.scores.u8 = NULL;
        e.scores.f32 = full;
    }
    check(locus_pool_recall_model(s->state->pool, locus_pool_count(s->state->pool) - 1, &e, NULL, &err), &err);
    free(full);
    free(answers);
    free(z);
}

static void next_tables(const dataset *d, const pool *pools)
{
    fprintf(
        out,
        "## What to evaluate next (9)\n\nEach model is held out once (four folds); the others have 1,024 evaluations "
        "each, and the new one is asked some of these queries. Rank error: places\namong the pool by predicted mean "
        "accuracy against the real one.\n\n");
    for (size_t k = 0; k < 2; k++) {
        static next_figures f[NEXT_WAYS];
        size_t order[MAX_POOL], count = pools[k].count;
        uint64_t shuffle = 0xF01D;
        memset(f, 0, sizeof f);
        for (size_t m = 0; m < count; m++) order[m] = m;
        base_shuffle(order, count, &shuffle);
        for (size_t fold = 0; fold < FOLDS; fold++) {
            setting s;
            pool old = pools[k];
            size_t held[MAX_POOL], added = 0;
            old.count = 0;
            for (size_t m = 0; m < count; m++) {
                if (m % FOLDS == fold) held[added++] = pools[k].members[order[m]];
                else old.members[old.count++] = pools[k].members[order[m]];
            }
            open_setting(&s, d, &old, EVALUATIONS, 0, 0);
            for (size_t h = 0; h < added; h++) {
                unsigned char *all = gather(d, &held[h], 1, s.e.columns, s.e.rows);
                unsigned char *asked = (unsigned char *)base_alloc(s.e.rows, 1);
                unsigned char *may = (unsigned char *)base_alloc(s.e.rows, 1);
                size_t *random = (size_t *)base_alloc(s.e.rows, sizeof *random), n = 0;
                uint64_t r = 99 + held[h];
                int enough = 0;
                for (size_t i = 0; i < s.e.rows; i++) random[i] = i;
                base_shuffle(random, s.e.rows, &r);
                memset(asked, 255, s.e.rows);
                for (size_t i = 0; i < s.e.rows && n < 128; i++) {
                    if (all[random[i]] == 255) continue;
                    asked[random[i]] = all[random[i]];
                    n++;
                    if (n != 48 && n != 128) continue;
                    join_next(&s, asked, 0);
                    judge_next(&s, held[h], (double)n, &f[n == 48 ? NEXT_RANDOM_48 : NEXT_RANDOM_128]);
                }
                memset(asked, 255, s.e.rows);
                for (size_t i = 0; i < s.e.rows; i++) may[i] = all[i] != 255;
                for (n = 0; n < ASKED || !enough;) {
                    size_t picks[BATCH];
                    locus_next_opts o;
                    locus_next next;
                    locus_evals e = locus_evals_of(s.e.enc, s.e.rows, d->dim, 1, asked);
                    memset(&o, 0, sizeof o);
                    o.batch = BATCH;
                    o.available = may;
                    check(locus_next_evaluations(s.state->pool, &e, &o, picks, &next, NULL, &err), &err);
                    if (next.enough && !enough) {
                        enough = 1;
                        join_next(&s, asked, 1);
                        judge_next(&s, held[h], (double)n, &f[NEXT_STOPPED]);
                    }
                    if (n >= ASKED) continue;
                    for (size_t i = 0; i < next.count; i++) asked[picks[i]] = all[picks[i]];
                    n += next.count;
                    if (n == 32 || n == ASKED) {
                        join_next(&s, asked, 1);
                        judge_next(&s, held[h], (double)n, &f[n == 32 ? NEXT_ADAPTIVE_32 : NEXT_ADAPTIVE_48]);
                    }
                    if (n < ASKED) continue;
                    join_next(&s, asked, 0);
                    judge_next(&s, held[h], (double)n, &f[NEXT_CHOSEN_ALONE]);
                    if (!enough) { // it is asked no more here
                        enough = 1;
                        join_next(&s, asked, 1);
                        judge_next(&s, held[h], (double)n, &f[NEXT_STOPPED]);
                    }
                }
                free(all);
                free(asked);
                free(may);
                free(random);
            }
            close_setting(&s);
        }
        fprintf(out,
                "| %s | evaluations | prediction, %% | Brier | accuracy off by, points | rank error |\n| --- | ---: | "
                "---: | ---: | ---: | ---: |\n",
                k ? "all 33" : "open 26");
        for (int way = 0; way < NEXT_WAYS; way++)
            fprintf(out, "| %s | %.1f | %.2f | %.4f | %.2f | %.2f |\n", next_names[way], mean_of(&f[way].asked),
                    mean_of(&f[way].prediction), mean_of(&f[way].brier), mean_of(&f[way].accuracy),
                    mean_of(&f[way].rank));
        fprintf(out, "\n| target | measured | |\n| --- | --- | --- |\n");
        target(mean_of(&f[NEXT_ADAPTIVE_48].prediction) >= mean_of(&f[NEXT_RANDOM_128].prediction),
               "48 chosen evaluations predict as well as 128 at random", "%.2f against %.2f %%",
               mean_of(&f[NEXT_ADAPTIVE_48].prediction), mean_of(&f[NEXT_RANDOM_128].prediction));
        target(mean_of(&f[NEXT_ADAPTIVE_48].rank) <= mean_of(&f[NEXT_RANDOM_128].rank), "and rank as well",
               "%.2f against %.2f places off", mean_of(&f[NEXT_ADAPTIVE_48].rank), mean_of(&f[NEXT_RANDOM_128].rank));
        fprintf(out, "\n");
    }
}

// --------------------------------------------------------------------------------------------------------------- main

int main(int argc, char **argv)
{
    static dataset d;
    pool pools[2];
    const char *data = "../shared/data/mmlu-pro", *path = "bench/RESULTS-explore.md", *only = "";
    size_t seeds = SEEDS;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--data") && i + 1 < argc) data = argv[++i];
        else if (!strcmp(argv[i], "--out") && i + 1 < argc) path = argv[++i];
        else if (!strcmp(argv[i], "--only") && i + 1 < argc) only = argv[++i];
        else if (!strcmp(argv[i], "--seeds") && i + 1 < argc) seeds = (size_t)strtoul(argv[++i], NULL, 10);
        else {
            fprintf(stderr, "usage: explore [--data FOLDER] [--out FILE] [--seeds N] [--only calibration,proxies,"
                            "portfolios,search,duplicates,next]\n");
            return 2;
        }
    }
    out = fopen(path, "w");
    if (!out) die(path, strerror(errno));
    load(&d, data, "build", "mmlu-pro");
    make_pools(&d, pools);
    fprintf(
        out,
        "# Explore, compare, select: measured\n\nMade by `make reproduce-explore` (bench/experiments/explore.c) from "
        "%u models x "
        "%u "
        "questions of MMLU-Pro. Pools are fitted from %u training queries a model\n(calibration: 64 to 4,096), %u "
        "seeds, calibrated on the validation part; figures are of the test part. Nothing was tuned on it but what is\n"
        "said to be.\n\n",
        (unsigned)d.models, (unsigned)d.queries, (unsigned)EVALUATIONS, (unsigned)seeds);
#define PART(name, call)                                                                                               \
    if (!*only || strstr(only, name)) {                                                                                \
        fprintf(stderr, "%s ...\n", name);                                                                             \
        call;                                                                                                          \
        fflush(out);                                                                                                   \
    }
    PART("calibration", calibration(&d, pools, seeds))
    PART("proxies", proxy_tables(&d, pools, seeds))
    PART("portfolios", portfolio_tables(&d, pools, seeds))
    PART("search", search_tables(&d, pools, seeds))
    PART("duplicates", duplicate_tables(&d, pools))
    PART("next", next_tables(&d, pools))
    fprintf(out, "%u of %u targets met.\n", (unsigned)met, (unsigned)targets);
    if (fclose(out)) die(path, strerror(errno));
    printf("%s: %u of %u targets met\n", path, (unsigned)met, (unsigned)targets);
    return 0;
}
