// SPDX-License-Identifier: MIT
// What LOCUS is measured against: simple and published ways to learn, from evaluations, which model answers which
// query right. Each is small, and all have the one interface `base_method`. Needs OpenBLAS (CBLAS, and
// LAPACK's ssyevd).
//
// Contents (search for the tag):
//     >>interface  base_data, base_method
//     >>tools      random numbers, products, logistic regression
//     >>means      each model's mean, so always the leader; its means by category, for whom is told the category
//     >>knn        nearest neighbours
//     >>clusters   k-means clusters with each model's accuracy, shrunk
//     >>factor     EmbedLLM's matrix factorisation and IRT-Net
//     >>logistic   one logistic regression per model
//     >>gp         PCA-GP: principal components over the models, each a kernel ridge regression on the query
//     >>list       all of them
//     >>selftest   derivatives against finite differences, leave-one-out against leaving one out
#ifndef LOCUS_BASELINES_H
#define LOCUS_BASELINES_H

#include <cblas.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define BASE_FN static __attribute__((unused))
#else
#define BASE_FN static
#endif

// ---------------------------------------------------------------------------------------------------- >>interface

enum { BASE_MAX_MODELS = 1024 }; // of a state, fitted and added

typedef struct base_queries {
    size_t count;
    const float *enc;        // [count, dim]
    const int32_t *category; // [count] from 0, -1: unknown; looked at by who is told the category, no one else
} base_queries;

// What a method may learn from. Scores in [0, 1], NaN: missing. Validation scores are for the choice of
// hyper-parameters and checkpoints only.
typedef struct base_data {
    size_t models, dim, categories;
    base_queries train;
    const float *scores; // [models, train.count]
    base_queries val;    // count 0: there is none
    const float *val_scores;
    base_queries all; // training queries, all of them: encodings without scores
    uint64_t seed;
} base_data;

typedef struct base_method {
    const char *name;
    void *(*fit)(const base_data *d); // the state keeps no pointer into d; NULL: failed
    // logits[n, models], fitted models first, then the added ones in order
    void (*predict)(const void *state, const base_queries *q, float *logits);
    // Appends a model known by its scores on these queries; all that was fitted stays as it is.
    int (*add)(void *state, const base_queries *q, const float *scores);
    // Forgets added models beyond the first `models`.
    void (*truncate)(void *state, size_t models);
    void (*release)(void *state);
    // Rows that one fit gives, each with a name of its own: use() switches. NULL: one row, `name`.
    const char *const *variants;
    size_t variant_count;
    int (*use)(void *state, const base_data *d, size_t variant);
    // Routing takes the likeliest model, but the one that this returns (SIZE_MAX: none) unless the likeliest is more
    // than *margin likelier. NULL: always the likeliest.
    size_t (*guard)(const void *state, double *margin);
} base_method;

// -------------------------------------------------------------------------------------------------------- >>tools

BASE_FN void *base_alloc(size_t count, size_t size) // zeroed; a benchmark has nothing to do without memory
{
    void *p = calloc(count ? count : 1, size);
    if (!p) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return p;
}

BASE_FN float *base_floats(size_t count) { return (float *)base_alloc(count, sizeof(float)); }

// Random numbers: SplitMix64 (Steele, Lea, Flood 2014). The state is a counter, so any seed is as good as any other.
BASE_FN uint64_t base_next(uint64_t *s)
{
    uint64_t z = (*s += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

BASE_FN double base_uniform(uint64_t *s) { return (double)(base_next(s) >> 11) * 0x1p-53; } // [0, 1)

BASE_FN size_t base_below(uint64_t *s, size_t n) { return (size_t)(base_uniform(s) * (double)n); }

BASE_FN float base_normal(uint64_t *s) // Box-Muller
{
    const double r = sqrt(-2.0 * log(1.0 - base_uniform(s)));
    return (float)(r * cos(6.283185307179586 * base_uniform(s)));
}

BASE_FN void base_shuffle(size_t *list, size_t n, uint64_t *s) // Fisher-Yates
{
    for (size_t i = n; i > 1; i--) {
        const size_t j = base_below(s, i), t = list[i - 1];
        list[i - 1] = list[j];
        list[j] = t;
    }
}

// C[m, n] <- alpha op(A) op(B) + beta C, all row-major and dense; ta: A is [k, m], tb: B is [n, k].
BASE_FN void base_mm(int ta, int tb, size_t m, size_t n, size_t k, float alpha, const float *a, const float *b,
                     float beta, float *c)
{
    if (m == 0 || n == 0) return;
    cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k,
                alpha, a, (int)(ta ? m : k), b, (int)(tb ? k : n), beta, c, (int)n);
}

BASE_FN double base_sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

BASE_FN double base_softplus(double x) { return (x > 0.0 ? x : 0.0) + log1p(exp(-fabs(x))); } // log(1 + e^x)

BASE_FN float base_logit(double p)
{
    if (p < 1e-6) p = 1e-6;
    if (p > 1.0 - 1e-6) p = 1.0 - 1e-6;
    return (float)log(p / (1.0 - p));
}

// Mean score of one model with one success and one failure added (Laplace): never 0 or 1.
BASE_FN double base_mean(const float *scores, size_t n)
{
    double right = 1.0, count = 2.0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(scores[i])) continue;
        right += (double)scores[i];
        count += 1.0;
    }
    return right / count;
}

// Mean cross-entropy of logits [n, models] against scores [models, n].
BASE_FN double base_bce(const float *logits, const float *scores, size_t n, size_t models)
{
    double sum = 0.0;
    size_t pairs = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t m = 0; m < models; m++) {
            const float y = scores[m * n + i];
            const double x = (double)logits[i * models + m];
            if (isnan(y)) continue;
            sum += base_softplus(x) - (double)y * x;
            pairs++;
        }
    }
    return pairs ? sum / (double)pairs : 0.0;
}

// Solves A x = b in place of b, A [d, d] symmetric, positive definite, its lower half given (and overwritten by L).
BASE_FN void base_solve(float *a, size_t d, float *b)
{
    for (size_t i = 0; i < d; i++) {
        for (size_t j = 0; j <= i; j++) {
            const float v = a[i * d + j] - cblas_sdot((int)j, a + i * d, 1, a + j * d, 1);
            a[i * d + j] = i > j ? v / a[j * d + j] : sqrtf(v > 1e-12f ? v : 1e-12f);
        }
    }
    cblas_strsv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, (int)d, a, (int)d, b, 1);
    cblas_strsv(CblasRowMajor, CblasLower, CblasTrans, CblasNonUnit, (int)d, a, (int)d, b, 1);
}

static double base_logistic_objective(const float *f, const float *offset, const float *y, size_t n, size_t d,
                                      const float *mean, const float *precision, const float *w, float *logits)
{
    double sum = 0.0;
    if (offset) memcpy(logits, offset, n * sizeof *logits);
    base_mm(0, 1, n, 1, d, 1.0f, f, w, offset ? 1.0f : 0.0f, logits);
    for (size_t i = 0; i < n; i++) {
        if (isnan(y[i])) continue;
        sum += base_softplus((double)logits[i]) - (double)y[i] * (double)logits[i];
    }
    for (size_t j = 0; j < d; j++) {
        const double e = (double)w[j] - (mean ? (double)mean[j] : 0.0);
        sum += 0.5 * (double)precision[j] * e * e;
    }
    return sum;
}

// w[d] <- the most probable weights of y ~ Bernoulli(sigmoid(F w + offset)), w ~ Normal(mean, 1 / precision): Newton's
// method with halved steps, from where w is. F [n, d]; offset (NULL: 0), mean (NULL: 0).
BASE_FN void base_logistic(const float *f, const float *offset, const float *y, size_t n, size_t d, const float *mean,
                           const float *precision, float *w)
{
    float *logits = base_floats(n), *scaled = base_floats(n * d), *h = base_floats(d * d), *g = base_floats(d);
    float *next = base_floats(d), *r = base_floats(n);
    double value = base_logistic_objective(f, offset, y, n, d, mean, precision, w, logits);
    for (int step = 0; step < 25; step++) {
        double rate = 1.0, after = value;
        for (size_t i = 0; i < n; i++) {
            const float p = (float)base_sigmoid((double)logits[i]), s = sqrtf(p * (1.0f - p));
            const int used = !isnan(y[i]);
            r[i] = used ? p - y[i] : 0.0f;
            for (size_t j = 0; j < d; j++) scaled[i * d + j] = used ? s * f[i * d + j] : 0.0f;
        }
        base_mm(1, 0, d, 1, n, 1.0f, f, r, 0.0f, g);
        cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, (int)d, (int)n, 1.0f, scaled, (int)d, 0.0f, h, (int)d);
        for (size_t j = 0; j < d; j++) {
            h[j * d + j] += precision[j];
            g[j] += precision[j] * (w[j] - (mean ? mean[j] : 0.0f));
        }
        base_solve(h, d, g);
        for (int half = 0; half < 12; half++, rate *= 0.5) {
            for (size_t j = 0; j < d; j++) next[j] = w[j] - (float)rate * g[j];
            after = base_logistic_objective(f, offset, y, n, d, mean, precision, next, logits);
            if (after <= value) break;
        }
        if (!(after <= value)) break;
        memcpy(w, next, d * sizeof *w);
        if (value - after < 1e-6 * (1.0 + fabs(value))) break;
        value = after;
    }
    free(logits);
    free(scaled);
    free(h);
    free(g);
    free(next);
    free(r);
}

// -------------------------------------------------------------------------------------------------------- >>means
// Each model's mean score, whatever the query: the leader is always taken. Told the category: its mean there, shrunk to
// its mean over all as if it had `weight` more evaluations in it, chosen on validation.

typedef struct base_means {
    size_t models, categories;
    double weight;
    float *p; // [BASE_MAX_MODELS, categories + 1], over all last
} base_means;

static int base_means_add(void *state, const base_queries *q, const float *scores)
{
    base_means *s = (base_means *)state;
    const size_t C = s->categories;
    float *p = s->p + s->models * (C + 1);
    double *right, *count;
    if (s->models == BASE_MAX_MODELS) return 1;
    right = (double *)base_alloc(2 * C + 2, sizeof *right);
    count = right + C + 1;
    p[C] = (float)base_mean(scores, q->count);
    for (size_t i = 0; i < q->count && C; i++) {
        if (isnan(scores[i]) || q->category[i] < 0) continue;
        right[q->category[i]] += (double)scores[i];
        count[q->category[i]] += 1.0;
    }
    for (size_t c = 0; c < C; c++) p[c] = (float)((right[c] + s->weight * (double)p[C]) / (count[c] + s->weight));
    s->models++;
    free(right);
    return 0;
}

static void base_means_predict(const void *state, const base_queries *q, float *logits)
{
    const base_means *s = (const base_means *)state;
    for (size_t i = 0; i < q->count; i++) {
        const size_t c = s->categories && q->category[i] >= 0 ? (size_t)q->category[i] : s->categories;
        for (size_t m = 0; m < s->models; m++)
            logits[i * s->models + m] = base_logit((double)s->p[m * (s->categories + 1) + c]);
    }
}

static void base_means_truncate(void *state, size_t models)
{
    base_means *s = (base_means *)state;
    if (models < s->models) s->models = models;
}

static void base_means_release(void *state)
{
    free(((base_means *)state)->p);
    free(state);
}

static base_means *base_means_learn(const base_data *d, size_t categories, double weight)
{
    base_means *s = (base_means *)base_alloc(1, sizeof *s);
    s->categories = categories;
    s->weight = weight;
    s->p = base_floats((size_t)BASE_MAX_MODELS * (categories + 1));
    for (size_t m = 0; m < d->models; m++) base_means_add(s, &d->train, d->scores + m * d->train.count);
    return s;
}

static void *base_leader_fit(const base_data *d) { return base_means_learn(d, 0, 1.0); }

static void *base_told_fit(const base_data *d)
{
    static const double weights[] = {8.0, 2.0, 32.0, 128.0};
    float *logits = base_floats(d->val.count * d->models);
    double best_loss = 1e30;
    base_means *best = NULL;
    for (size_t i = 0; i < (d->val.count ? sizeof weights / sizeof *weights : 1); i++) {
        base_means *s = base_means_learn(d, d->categories, weights[i]);
        base_means_predict(s, &d->val, logits);
        const double loss = base_bce(logits, d->val_scores, d->val.count, d->models);
        if (best && loss >= best_loss) {
            base_means_release(s);
            continue;
        }
        if (best) base_means_release(best);
        best = s;
        best_loss = loss;
    }
    free(logits);
    return best;
}

// ---------------------------------------------------------------------------------------------------------- >>knn
// Mean score on the k evaluated queries nearest by cosine, with two more evaluations of the model's mean. The models
// that were fitted share a table of queries, each added model has its own.

enum { KNN_MOST = 50 };

typedef struct base_table {
    size_t rows, models, k;
    float *enc;    // [rows, dim], unit length
    float *scores; // [models, rows]
    double *mean;  // [models]
} base_table;

typedef struct base_knn {
    size_t dim, k, tables, fitted;
    base_table *table; // [0] of the fitted models, then one for each added model
} base_knn;

BASE_FN void base_unit(float *rows, size_t n, size_t dim)
{
    for (size_t i = 0; i < n; i++) {
        const float norm = cblas_snrm2((int)dim, rows + i * dim, 1);
        if (norm > 0.0f) cblas_sscal((int)dim, 1.0f / norm, rows + i * dim, 1);
    }
}

static void base_table_fill(base_table *t, const base_queries *q, const float *scores, size_t models, size_t dim,
                            size_t k)
{
    t->rows = q->count;
    t->models = models;
    t->k = q->count < k ? q->count : k;
    t->enc = base_floats(q->count * dim);
    t->scores = base_floats(q->count * models);
    t->mean = (double *)base_alloc(models, sizeof *t->mean);
    memcpy(t->enc, q->enc, q->count * dim * sizeof(float));
    memcpy(t->scores, scores, q->count * models * sizeof(float));
    base_unit(t->enc, q->count, dim);
    for (size_t m = 0; m < models; m++) t->mean[m] = base_mean(scores + m * q->count, q->count);
}

static void base_table_free(base_table *t)
{
    free(t->enc);
    free(t->scores);
    free(t->mean);
}

static void base_knn_truncate(void *state, size_t models)
{
    base_knn *s = (base_knn *)state;
    while (s->fitted + s->tables - 1 > models && s->tables > 1) base_table_free(&s->table[--s->tables]);
}

static void *base_knn_fit(const base_data *d, size_t k)
{
    base_knn *s = (base_knn *)base_alloc(1, sizeof *s);
    s->dim = d->dim;
    s->k = k;
    s->tables = 1;
    s->fitted = d->models;
    s->table = (base_table *)base_alloc(BASE_MAX_MODELS, sizeof *s->table);
    base_table_fill(&s->table[0], &d->train, d->scores, d->models, d->dim, k);
    return s;
}

static void *base_knn20_fit(const base_data *d) { return base_knn_fit(d, 20); }
static void *base_knn50_fit(const base_data *d) { return base_knn_fit(d, 50); }

static int base_knn_add(void *state, const base_queries *q, const float *scores)
{
    base_knn *s = (base_knn *)state;
    if (s->tables == BASE_MAX_MODELS) return 1;
    base_table_fill(&s->table[s->tables++], q, scores, 1, s->dim, s->k);
    return 0;
}

// near[k] <- the places of the k greatest values, in no order. k <= n.
BASE_FN void base_greatest(const float *v, size_t n, size_t k, size_t *near)
{
    size_t least = 0; // the place in `near` of the least value kept
    for (size_t i = 0; i < n; i++) {
        if (i < k) {
            near[i] = i;
            if (v[i] < v[near[least]]) least = i;
        } else if (v[i] > v[near[least]]) {
            near[least] = i;
            for (size_t j = 0; j < k; j++)
                if (v[near[j]] < v[near[least]]) least = j;
        }
    }
}

static void base_knn_predict(const void *state, const base_queries *queries, float *logits)
{
    const base_knn *s = (const base_knn *)state;
    const size_t models = s->fitted + s->tables - 1, n = queries->count;
    float *q = base_floats(n * s->dim);
    size_t first = 0;
    memcpy(q, queries->enc, n * s->dim * sizeof *q);
    base_unit(q, n, s->dim);
    for (size_t t = 0; t < s->tables; t++) {
        const base_table *table = &s->table[t];
        float *similar = base_floats(n * table->rows);
        base_mm(0, 1, n, table->rows, s->dim, 1.0f, q, table->enc, 0.0f, similar);
        for (size_t i = 0; i < n; i++) {
            size_t near[KNN_MOST];
            base_greatest(similar + i * table->rows, table->rows, table->k, near);
            for (size_t m = 0; m < table->models; m++) {
                double right = 2.0 * table->mean[m], count = 2.0;
                for (size_t j = 0; j < table->k; j++) {
                    const float y = table->scores[m * table->rows + near[j]];
                    if (isnan(y)) continue;
                    right += (double)y;
                    count += 1.0;
                }
                logits[i * models + first + m] = base_logit(right / count);
            }
        }
        free(similar);
        first += table->models;
    }
    free(q);
}

static void base_knn_release(void *state)
{
    base_knn *s = (base_knn *)state;
    base_knn_truncate(s, s->fitted);
    base_table_free(&s->table[0]);
    free(s->table);
    free(s);
}

// ----------------------------------------------------------------------------------------------------- >>clusters
// k-means over the training queries' encodings; in each cluster a model's accuracy, shrunk to the model's mean as if it
// had `weight` more evaluations there: 20 and 100 clusters, weight 24, the two probabilities averaged.

enum { CLUSTER_LEVELS = 2 };

typedef struct base_clusters {
    size_t dim, models, k[CLUSTER_LEVELS];
    double weight;
    float *centroid[CLUSTER_LEVELS]; // [k, dim]
    float *p[CLUSTER_LEVELS];        // [BASE_MAX_MODELS, k]
} base_clusters;

// of[n] <- the nearest of k centroids (squared distance |x|^2 - 2 x.c + |c|^2)
static void base_assign(const float *x, size_t n, size_t dim, const float *centroid, size_t k, size_t *of)
{
    float *dot = base_floats(n * k), *square = base_floats(k);
    base_mm(0, 1, n, k, dim, 1.0f, x, centroid, 0.0f, dot);
    for (size_t c = 0; c < k; c++) square[c] = cblas_sdot((int)dim, centroid + c * dim, 1, centroid + c * dim, 1);
    for (size_t i = 0; i < n; i++) {
        of[i] = 0;
        for (size_t c = 1; c < k; c++)
            if (square[c] - 2.0f * dot[i * k + c] < square[of[i]] - 2.0f * dot[i * k + of[i]]) of[i] = c;
    }
    free(dot);
    free(square);
}

// centroid[k, dim] <- Lloyd's algorithm from k different random rows; an empty cluster restarts at a random row.
static void base_kmeans(const float *x, size_t n, size_t dim, size_t k, uint64_t seed, float *centroid)
{
    size_t *order = (size_t *)base_alloc(n, sizeof *order), *of = (size_t *)base_alloc(n, sizeof *of);
    size_t *count = (size_t *)base_alloc(k, sizeof *count);
    for (size_t i = 0; i < n; i++) order[i] = i;
    base_shuffle(order, n, &seed);
    for (size_t c = 0; c < k; c++) memcpy(centroid + c * dim, x + order[c % n] * dim, dim * sizeof *x);
    for (int round = 0; round < 30; round++) {
        size_t moved = 0;
        size_t *before = order; // no longer needed as an order
        memcpy(before, of, n * sizeof *of);
        base_assign(x, n, dim, centroid, k, of);
        for (size_t i = 0; i < n; i++) moved += before[i] != of[i];
        if (round > 0 && moved == 0) break;
        memset(count, 0, k * sizeof *count);
        memset(centroid, 0, k * dim * sizeof *centroid);
        for (size_t i = 0; i < n; i++) {
            cblas_saxpy((int)dim, 1.0f, x + i * dim, 1, centroid + of[i] * dim, 1);
            count[of[i]]++;
        }
        for (size_t c = 0; c < k; c++) {
            if (count[c]) {
                cblas_sscal((int)dim, 1.0f / (float)count[c], centroid + c * dim, 1);
            } else {
                memcpy(centroid + c * dim, x + base_below(&seed, n) * dim, dim * sizeof *x);
            }
        }
    }
    free(order);
    free(of);
    free(count);
}

static int base_clusters_add(void *state, const base_queries *q, const float *scores)
{
    base_clusters *s = (base_clusters *)state;
    const double mean = base_mean(scores, q->count);
    size_t *of;
    if (s->models == BASE_MAX_MODELS) return 1;
    of = (size_t *)base_alloc(q->count, sizeof *of);
    for (size_t l = 0; l < CLUSTER_LEVELS; l++) {
        double *right = (double *)base_alloc(2 * s->k[l], sizeof *right), *count = right + s->k[l];
        base_assign(q->enc, q->count, s->dim, s->centroid[l], s->k[l], of);
        for (size_t i = 0; i < q->count; i++) {
            if (isnan(scores[i])) continue;
            right[of[i]] += (double)scores[i];
            count[of[i]] += 1.0;
        }
        for (size_t c = 0; c < s->k[l]; c++)
            s->p[l][s->models * s->k[l] + c] = (float)((right[c] + s->weight * mean) / (count[c] + s->weight));
        free(right);
    }
    s->models++;
    free(of);
    return 0;
}

static void *base_clusters_fit(const base_data *d)
{
    base_clusters *s = (base_clusters *)base_alloc(1, sizeof *s);
    s->dim = d->dim;
    s->weight = 24.0;
    s->k[0] = 20;
    s->k[1] = 100;
    for (size_t l = 0; l < CLUSTER_LEVELS; l++) {
        s->centroid[l] = base_floats(s->k[l] * s->dim);
        s->p[l] = base_floats((size_t)BASE_MAX_MODELS * s->k[l]);
        base_kmeans(d->all.enc, d->all.count, s->dim, s->k[l], d->seed + l, s->centroid[l]);
    }
    for (size_t m = 0; m < d->models; m++) base_clusters_add(s, &d->train, d->scores + m * d->train.count);
    return s;
}

static void base_clusters_predict(const void *state, const base_queries *q, float *logits)
{
    const base_clusters *s = (const base_clusters *)state;
    size_t *of = (size_t *)base_alloc(CLUSTER_LEVELS * q->count, sizeof *of);
    for (size_t l = 0; l < CLUSTER_LEVELS; l++)
        base_assign(q->enc, q->count, s->dim, s->centroid[l], s->k[l], of + l * q->count);
    for (size_t i = 0; i < q->count; i++) {
        for (size_t m = 0; m < s->models; m++) {
            double p = 0.0;
            for (size_t l = 0; l < CLUSTER_LEVELS; l++) p += (double)s->p[l][m * s->k[l] + of[l * q->count + i]];
            logits[i * s->models + m] = base_logit(p / CLUSTER_LEVELS);
        }
    }
    free(of);
}

static void base_clusters_truncate(void *state, size_t models)
{
    base_clusters *s = (base_clusters *)state;
    if (models < s->models) s->models = models;
}

static void base_clusters_release(void *state)
{
    base_clusters *s = (base_clusters *)state;
    for (size_t l = 0; l < CLUSTER_LEVELS; l++) {
        free(s->centroid[l]);
        free(s->p[l]);
    }
    free(s);
}

// ------------------------------------------------------------------------------------------------------- >>factor
// A vector t for each model, a linear map u = W q + b of the query's encoding, trained together by Adam.
//   EmbedLLM:  two logits C (t * u) + c;  the difference of the two is the logit    (t * u: element by element)
//   IRT-Net:   logit = a . t - beta, where [a, beta] = u, one longer than t
// A new model's t: the most probable one under its evaluations and a normal prior with the pool's mean and covariance.

enum { FACTOR_NOISE = 1 << 20 }; // normal numbers; a row's noise starts at a random place of this table

typedef struct base_recipe {
    int irt;
    size_t width; // of t
    double rate, decay, noise;
    size_t batch, steps, every, patience; // steps at most, the best on validation is kept
} base_recipe;

typedef struct base_factor {
    base_recipe recipe;
    size_t dim, width, outs, models, fitted, count;
    float *value;                     // all parameters: W, b, C, c, t
    size_t at_b, at_c, at_bias, at_t; // where each begins (W at 0)
} base_factor;

typedef struct base_batch { // scratch of a training step
    float *x, *u, *du;
    size_t *model;
    float *y;
} base_batch;

static void base_factor_init(base_factor *s, size_t models, size_t dim, const base_recipe *recipe, uint64_t *r)
{
    const float range = 1.0f / sqrtf((float)dim), range_c = 1.0f / sqrtf((float)recipe->width);
    s->recipe = *recipe;
    s->dim = dim;
    s->width = recipe->width;
    s->outs = s->width + (recipe->irt ? 1 : 0);
    s->models = s->fitted = models;
    s->at_b = s->outs * dim;
    s->at_c = s->at_b + s->outs;
    s->at_bias = s->at_c + 2 * s->width;
    s->at_t = s->at_bias + 2;
    s->count = s->at_t + models * s->width;
    s->value = base_floats(s->at_t + (size_t)BASE_MAX_MODELS * s->width);
    for (size_t i = 0; i < s->at_c; i++) s->value[i] = range * (float)(2.0 * base_uniform(r) - 1.0);
    for (size_t i = s->at_c; i < s->at_t; i++) s->value[i] = range_c * (float)(2.0 * base_uniform(r) - 1.0);
    for (size_t i = s->at_t; i < s->count; i++) s->value[i] = base_normal(r) * (recipe->irt ? 0.1f : 1.0f);
}

// The factor of t * u in the logit, and the constant in it.
static float base_factor_scale(const base_factor *s, size_t j)
{
    return s->recipe.irt ? 1.0f : s->value[s->at_c + s->width + j] - s->value[s->at_c + j];
}
static float base_factor_bias(const base_factor *s)
{
    return s->recipe.irt ? 0.0f : s->value[s->at_bias + 1] - s->value[s->at_bias];
}

static void base_factor_map(const base_factor *s, const float *x, size_t n, float *u)
{
    for (size_t i = 0; i < n; i++) memcpy(u + i * s->outs, s->value + s->at_b, s->outs * sizeof *u);
    base_mm(0, 1, n, s->outs, s->dim, 1.0f, x, s->value, 1.0f, u);
}

// Mean cross-entropy of n pairs (encodings b->x, b->model, b->y), and its gradient (NULL: not wanted).
static double base_factor_loss(const base_factor *s, base_batch *b, size_t n, float *grad)
{
    const size_t w = s->width;
    float scale[512]; // wider is not needed
    const float bias = base_factor_bias(s);
    double loss = 0.0;
    for (size_t j = 0; j < w; j++) scale[j] = base_factor_scale(s, j);
    base_factor_map(s, b->x, n, b->u);
    if (grad) memset(grad, 0, s->count * sizeof *grad);
    for (size_t i = 0; i < n; i++) {
        const float *u = b->u + i * s->outs, *t = s->value + s->at_t + b->model[i] * w;
        float *du = b->du + i * s->outs, logit = bias, g;
        for (size_t j = 0; j < w; j++) logit += scale[j] * t[j] * u[j];
        if (s->recipe.irt) logit -= u[w];
        loss += base_softplus((double)logit) - (double)b->y[i] * (double)logit;
        if (!grad) continue;
        g = (float)((base_sigmoid((double)logit) - (double)b->y[i]) / (double)n);
        {
            float *dt = grad + s->at_t + b->model[i] * w, *dc = grad + s->at_c + w;
            for (size_t j = 0; j < w; j++) {
                du[j] = g * scale[j] * t[j];
                dt[j] += g * scale[j] * u[j];
            }
            if (s->recipe.irt) {
                du[w] = -g;
            } else {
                for (size_t j = 0; j < w; j++) dc[j] += g * t[j] * u[j];
                grad[s->at_bias + 1] += g;
            }
        }
    }
    if (grad) {
        base_mm(1, 0, s->outs, s->dim, n, 1.0f, b->du, b->x, 0.0f, grad);
        for (size_t i = 0; i < n; i++) cblas_saxpy((int)s->outs, 1.0f, b->du + i * s->outs, 1, grad + s->at_b, 1);
        if (!s->recipe.irt) { // the first logit's share is the second's with the other sign
            for (size_t j = 0; j < w; j++) grad[s->at_c + j] = -grad[s->at_c + w + j];
            grad[s->at_bias] = -grad[s->at_bias + 1];
        }
    }
    return loss / (double)n;
}

static void base_factor_predict(const void *state, const base_queries *q, float *logits)
{
    const base_factor *s = (const base_factor *)state;
    const size_t n = q->count;
    float *u = base_floats(n * s->outs), *v = base_floats(n * s->width);
    const float bias = base_factor_bias(s);
    base_factor_map(s, q->enc, n, u);
    for (size_t i = 0; i < n; i++) {
        const float start = s->recipe.irt ? -u[i * s->outs + s->width] : bias;
        for (size_t j = 0; j < s->width; j++) v[i * s->width + j] = u[i * s->outs + j] * base_factor_scale(s, j);
        for (size_t m = 0; m < s->models; m++) logits[i * s->models + m] = start;
    }
    base_mm(0, 1, n, s->models, s->width, 1.0f, v, s->value + s->at_t, 1.0f, logits);
    free(u);
    free(v);
}

// Adam with the penalty's gradient added to the loss's (not AdamW).
static void base_adam(float *value, float *grad, float *m, float *v, size_t n, size_t step, double rate, double decay)
{
    const float c1 = (float)(1.0 / (1.0 - pow(0.9, (double)step))), lambda = (float)decay;
    const float c2 = (float)(1.0 / (1.0 - pow(0.999, (double)step))), lr = (float)rate;
    for (size_t i = 0; i < n; i++) {
        const float g = grad[i] + lambda * value[i];
        m[i] = 0.9f * m[i] + 0.1f * g;
        v[i] = 0.999f * v[i] + 0.001f * g * g;
        value[i] -= lr * (m[i] * c1) / (sqrtf(v[i] * c2) + 1e-8f);
    }
}

static void *base_factor_fit(const base_data *d, const base_recipe *recipe)
{
    base_factor *s = (base_factor *)base_alloc(1, sizeof *s);
    uint64_t r = d->seed ^ 0xFAC708u;
    size_t pairs = 0, at = 0, step = 0, left = recipe->patience, *order;
    const size_t rows = d->train.count;
    float *grad, *m, *v, *best, *noise, *val_logits;
    double best_loss = 1e30;
    base_batch b;
    base_factor_init(s, d->models, d->dim, recipe, &r);
    order = (size_t *)base_alloc(d->models * rows, sizeof *order);
    for (size_t i = 0; i < d->models * rows; i++)
        if (!isnan(d->scores[i])) order[pairs++] = i;
    b.x = base_floats(recipe->batch * d->dim);
    b.u = base_floats(recipe->batch * s->outs);
    b.du = base_floats(recipe->batch * s->outs);
    b.model = (size_t *)base_alloc(recipe->batch, sizeof *b.model);
    b.y = base_floats(recipe->batch);
    grad = base_floats(s->count);
    m = base_floats(s->count);
    v = base_floats(s->count);
    best = base_floats(s->count);
    noise = base_floats(FACTOR_NOISE);
    val_logits = base_floats(d->val.count * d->models);
    for (size_t i = 0; i < FACTOR_NOISE; i++) noise[i] = (float)recipe->noise * base_normal(&r);
    while (step < recipe->steps) {
        size_t n;
        if (at == 0) base_shuffle(order, pairs, &r);
        n = pairs - at < recipe->batch ? pairs - at : recipe->batch;
        for (size_t i = 0; i < n; i++) {
            const size_t pair = order[at + i], row = pair % rows;
            const float *e = noise + base_below(&r, FACTOR_NOISE - d->dim), *q = d->train.enc + row * d->dim;
            float *x = b.x + i * d->dim;
            for (size_t j = 0; j < d->dim; j++) x[j] = q[j] + e[j];
            b.model[i] = pair / rows;
            b.y[i] = d->scores[pair];
        }
        at = at + n == pairs ? 0 : at + n;
        base_factor_loss(s, &b, n, grad);
        base_adam(s->value, grad, m, v, s->count, ++step, recipe->rate, recipe->decay);
        if (d->val.count && step % recipe->every == 0) {
            double loss;
            base_factor_predict(s, &d->val, val_logits);
            loss = base_bce(val_logits, d->val_scores, d->val.count, d->models);
            if (loss < best_loss) {
                best_loss = loss;
                memcpy(best, s->value, s->count * sizeof *best);
                left = recipe->patience;
            } else if (--left == 0) {
                break;
            }
        }
    }
    if (best_loss < 1e30) memcpy(s->value, best, s->count * sizeof *best);
    free(order);
    free(b.x);
    free(b.u);
    free(b.du);
    free(b.model);
    free(b.y);
    free(grad);
    free(m);
    free(v);
    free(best);
    free(noise);
    free(val_logits);
    return s;
}

static void *base_embedllm_fit(const base_data *d)
{
    const base_recipe r = {0, 232, 1e-3, 1e-5, 0.05, 2048, 1500, 25, 8};
    return base_factor_fit(d, &r);
}

static void *base_irt_fit(const base_data *d)
{
    const base_recipe r = {1, 64, 1e-3, 1e-5, 0.05, 2048, 2000, 25, 8};
    return base_factor_fit(d, &r);
}

// The pool's vectors vary along few directions, together: the prior has their covariance, nine tenths of it as it is
// and one tenth of its diagonal. In coordinates a ~ Normal(0, 1), t = mean + [spread of the fitted models, diagonal] a.
static int base_factor_add(void *state, const base_queries *q, const float *scores)
{
    enum { OWN = 10 }; // one OWNth is the diagonal's
    base_factor *s = (base_factor *)state;
    const size_t n = q->count, w = s->width, rank = s->fitted + w;
    float *t = s->value + s->at_t + s->models * w, *u, *f, *offset, *basis, *projected, *precision, *a;
    if (s->models == BASE_MAX_MODELS) return 1;
    u = base_floats(n * s->outs);
    f = base_floats(n * w);
    offset = base_floats(n);
    basis = base_floats(rank * w); // one row for each coordinate
    projected = base_floats(n * rank);
    precision = base_floats(rank);
    a = base_floats(rank);
    for (size_t j = 0; j < w; j++) {
        const float *v = s->value + s->at_t + j, size = (float)(s->fitted > 1 ? s->fitted - 1 : 1);
        float square = 0.0f;
        t[j] = 0.0f;
        for (size_t m = 0; m < s->fitted; m++) t[j] += v[m * w] / (float)s->fitted;
        for (size_t m = 0; m < s->fitted; m++) {
            const float e = v[m * w] - t[j];
            square += e * e;
            basis[m * w + j] = e * sqrtf((1.0f - 1.0f / (float)OWN) / size);
        }
        basis[(s->fitted + j) * w + j] = sqrtf(square / size / (float)OWN);
    }
    base_factor_map(s, q->enc, n, u);
    for (size_t i = 0; i < n; i++) {
        offset[i] = s->recipe.irt ? -u[i * s->outs + w] : base_factor_bias(s);
        for (size_t j = 0; j < w; j++) f[i * w + j] = u[i * s->outs + j] * base_factor_scale(s, j);
    }
    base_mm(0, 1, n, 1, w, 1.0f, f, t, 1.0f, offset);
    base_mm(0, 1, n, rank, w, 1.0f, f, basis, 0.0f, projected);
    for (size_t k = 0; k < rank; k++) precision[k] = 1.0f;
    base_logistic(projected, offset, scores, n, rank, NULL, precision, a);
    base_mm(0, 0, 1, w, rank, 1.0f, a, basis, 1.0f, t);
    s->models++;
    free(u);
    free(f);
    free(offset);
    free(basis);
    free(projected);
    free(precision);
    free(a);
    return 0;
}

static void base_factor_truncate(void *state, size_t models)
{
    base_factor *s = (base_factor *)state;
    if (models < s->models) s->models = models;
}

static void base_factor_release(void *state)
{
    base_factor *s = (base_factor *)state;
    free(s->value);
    free(s);
}

// ----------------------------------------------------------------------------------------------------- >>logistic
// Logistic regression of the score on the encoding, for each model alone, squared weights penalised; the penalty is
// chosen on validation where there is validation data, the same for all models.

typedef struct base_linear {
    size_t dim, models;
    float penalty;
    float *w; // [BASE_MAX_MODELS, dim + 1], the constant last
} base_linear;

static int base_linear_add(void *state, const base_queries *q, const float *scores)
{
    base_linear *s = (base_linear *)state;
    const size_t d = s->dim + 1, n = q->count;
    float *f, *precision;
    if (s->models == BASE_MAX_MODELS) return 1;
    f = base_floats(n * d);
    precision = base_floats(d);
    for (size_t i = 0; i < n; i++) {
        memcpy(f + i * d, q->enc + i * s->dim, s->dim * sizeof *f);
        f[i * d + s->dim] = 1.0f;
    }
    for (size_t j = 0; j < s->dim; j++) precision[j] = s->penalty;
    precision[s->dim] = 0.1f; // a model that was never right still has a finite constant
    base_logistic(f, NULL, scores, n, d, NULL, precision, s->w + s->models * d);
    s->models++;
    free(f);
    free(precision);
    return 0;
}

static void base_linear_predict(const void *state, const base_queries *q, float *logits)
{
    const base_linear *s = (const base_linear *)state;
    const size_t d = s->dim + 1, n = q->count;
    for (size_t i = 0; i < n; i++)
        for (size_t m = 0; m < s->models; m++) logits[i * s->models + m] = s->w[m * d + s->dim];
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)s->models, (int)s->dim, 1.0f, q->enc, (int)s->dim,
                s->w, (int)d, 1.0f, logits, (int)s->models);
}

static void *base_linear_fit(const base_data *d)
{
    static const float penalties[] = {0.5f, 1.0f, 2.0f, 4.0f, 8.0f};
    base_linear *s = (base_linear *)base_alloc(1, sizeof *s);
    const size_t weights = (size_t)BASE_MAX_MODELS * (d->dim + 1);
    float *best = base_floats(weights), *logits = base_floats(d->val.count * d->models), best_penalty = 0.0f;
    double best_loss = 1e30;
    s->dim = d->dim;
    s->w = base_floats(weights);
    for (size_t p = 0; p < sizeof penalties / sizeof *penalties; p++) {
        double loss;
        s->models = 0;
        s->penalty = d->val.count ? penalties[p] : 1.0f;
        for (size_t m = 0; m < d->models; m++) base_linear_add(s, &d->train, d->scores + m * d->train.count);
        if (!d->val.count) break;
        base_linear_predict(s, &d->val, logits);
        loss = base_bce(logits, d->val_scores, d->val.count, d->models);
        if (loss < best_loss) {
            best_loss = loss;
            best_penalty = penalties[p];
            memcpy(best, s->w, weights * sizeof *best);
        }
    }
    if (d->val.count) {
        s->penalty = best_penalty;
        memcpy(s->w, best, weights * sizeof *best);
        memset(s->w + d->models * (d->dim + 1), 0, (weights - d->models * (d->dim + 1)) * sizeof *best);
    }
    free(best);
    free(logits);
    return s;
}

static void base_linear_truncate(void *state, size_t models)
{
    base_linear *s = (base_linear *)state;
    const size_t d = s->dim + 1;
    if (models >= s->models) return;
    memset(s->w + models * d, 0, (s->models - models) * d * sizeof *s->w); // where the next fit starts
    s->models = models;
}

static void base_linear_release(void *state)
{
    base_linear *s = (base_linear *)state;
    free(s->w);
    free(s);
}

// ----------------------------------------------------------------------------------------------------------- >>gp
// PCA-GP, in closed form: principal components of the scores [models, queries], each model's mean taken out, over the
// models; each component's scores as a function of the query by kernel ridge regression (RBF of the cosine), each with
// a penalty of its own and all with one width, chosen by leave-one-out (a width for each component overfits);
// components whose leave-one-out error is not below that of 0 are dropped. Missing cells are filled with what it says
// and all is fitted anew, four times. A new model: Bayesian regression of its scores on the components, with the mean
// and the variance of the pool's loadings as the prior, noise 0.2.

enum { GP_WIDTHS = 4, GP_PENALTIES = 8, GP_PARTS = 40, GP_FILLS = 4 };
static const double gp_widths[GP_WIDTHS] = {0.1, 0.2, 0.5, 1.0};
static const double gp_penalties[GP_PENALTIES] = {0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0};

typedef struct base_gp {
    size_t dim, rows, models, fitted, parts;
    double width;   // of the kernel
    float *enc;     // [rows, dim], unit length
    float *alpha;   // [rows, parts] a component is sum_i alpha_i k(x, x_i)
    double *mean;   // [BASE_MAX_MODELS]
    float *loading; // [BASE_MAX_MODELS, GP_PARTS]
} base_gp;

void ssyevd_(const char *jobz, const char *uplo, const int *n, float *a, const int *lda, float *w, float *work,
             const int *lwork, int *iwork, const int *liwork, int *info);

// a[n, n] symmetric: its rows <- eigenvectors, value[n] <- eigenvalues, ascending.
static void base_eigen(float *a, size_t n, float *value)
{
    const int size = (int)n, lwork = 1 + 6 * size + 2 * size * size, liwork = 3 + 5 * size;
    float *work = base_floats((size_t)lwork);
    int info = 0, *iwork = (int *)base_alloc((size_t)liwork, sizeof *iwork);
    ssyevd_("V", "L", &size, a, &size, value, work, &lwork, iwork, &liwork, &info);
    if (info) fprintf(stderr, "eigenvalues: ssyevd says %d\n", info);
    free(work);
    free(iwork);
}

// k[n, rows] <- exp((cosine - 1) / width), from cosines
static void base_gp_kernel(const float *cosine, size_t count, double width, float *k)
{
    for (size_t i = 0; i < count; i++) k[i] = expf((cosine[i] - 1.0f) / (float)width);
}

// Leave-one-out: with (K + penalty) alpha = f, the residual of row i without row i is alpha_i / [(K + penalty)^-1]_ii.
// inverse[penalties, n] <- those diagonals, from K's eigenvectors (rows of u) and eigenvalues.
static void base_gp_inverse(const float *u, const float *value, size_t n, float *inverse)
{
    memset(inverse, 0, GP_PENALTIES * n * sizeof *inverse);
    for (size_t j = 0; j < n; j++) {
        for (size_t p = 0; p < GP_PENALTIES; p++) {
            const float r = 1.0f / ((value[j] > 0.0f ? value[j] : 0.0f) + (float)gp_penalties[p]);
            for (size_t i = 0; i < n; i++) inverse[p * n + i] += u[j * n + i] * u[j * n + i] * r;
        }
    }
}

// alpha[n, parts] <- (K + penalty)^-1 F, from g = U F
static void base_gp_alpha(const float *u, const float *value, size_t n, const float *g, size_t parts, size_t penalty,
                          float *scaled, float *alpha)
{
    for (size_t j = 0; j < n; j++) {
        const float r = 1.0f / ((value[j] > 0.0f ? value[j] : 0.0f) + (float)gp_penalties[penalty]);
        for (size_t k = 0; k < parts; k++) scaled[j * parts + k] = g[j * parts + k] * r;
    }
    base_mm(1, 0, n, parts, n, 1.0f, u, scaled, 0.0f, alpha);
}

typedef struct base_gp_work { // what all refits share
    float *u[GP_WIDTHS], *value[GP_WIDTHS], *inverse[GP_WIDTHS];
} base_gp_work;

// From y [models, n], no cell missing: means, components, loadings, alpha; fitted[n, parts] <- the components' values.
static void base_gp_solve(base_gp *s, const base_gp_work *work, const float *y, float *fitted)
{
    const size_t n = s->rows, M = s->models;
    size_t parts = M < GP_PARTS ? M : GP_PARTS, kept[GP_PARTS];
    float *c = base_floats(M * n), *gram = base_floats(M * M), *value = base_floats(M), *v = base_floats(M * parts);
    float *f = base_floats(n * parts), *g = base_floats(n * parts), *scaled = base_floats(n * parts);
    float *alpha = base_floats(n * parts), *best_alpha = base_floats(n * parts);
    double least = 1e300;
    size_t penalty[GP_PARTS];
    if (parts > n) parts = n;
    for (size_t m = 0; m < M; m++) {
        s->mean[m] = 0.0;
        for (size_t i = 0; i < n; i++) s->mean[m] += (double)y[m * n + i] / (double)n;
        for (size_t i = 0; i < n; i++) c[m * n + i] = y[m * n + i] - (float)s->mean[m];
    }
    base_mm(0, 1, M, M, n, 1.0f, c, c, 0.0f, gram);
    base_eigen(gram, M, value);
    for (size_t k = 0; k < parts; k++)
        for (size_t m = 0; m < M; m++) v[m * parts + k] = gram[(M - 1 - k) * M + m];
    base_mm(1, 0, n, parts, M, 1.0f, c, v, 0.0f, f);
    for (size_t w = 0; w < GP_WIDTHS; w++) {
        double best[GP_PARTS], sum = 0.0;
        size_t chosen[GP_PARTS];
        for (size_t k = 0; k < parts; k++) { // what saying 0 costs
            best[k] = 0.0;
            chosen[k] = GP_PENALTIES;
            for (size_t i = 0; i < n; i++) best[k] += (double)f[i * parts + k] * (double)f[i * parts + k];
        }
        base_mm(0, 0, n, parts, n, 1.0f, work->u[w], f, 0.0f, g);
        for (size_t p = 0; p < GP_PENALTIES; p++) {
            double error[GP_PARTS] = {0};
            base_gp_alpha(work->u[w], work->value[w], n, g, parts, p, scaled, alpha);
            for (size_t i = 0; i < n; i++) {
                for (size_t k = 0; k < parts; k++) {
                    const double e = (double)alpha[i * parts + k] / (double)work->inverse[w][p * n + i];
                    error[k] += e * e;
                }
            }
            for (size_t k = 0; k < parts; k++) {
                if (error[k] >= best[k]) continue;
                best[k] = error[k];
                chosen[k] = p;
                for (size_t i = 0; i < n; i++) best_alpha[i * parts + k] = alpha[i * parts + k];
            }
        }
        for (size_t k = 0; k < parts; k++) sum += best[k];
        if (sum >= least) continue;
        least = sum;
        s->width = gp_widths[w];
        s->parts = 0;
        for (size_t k = 0; k < parts; k++)
            if (chosen[k] < GP_PENALTIES) penalty[s->parts] = chosen[k], kept[s->parts++] = k;
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < s->parts; k++) s->alpha[i * s->parts + k] = best_alpha[i * parts + kept[k]];
    }
    for (size_t k = 0; k < s->parts; k++) {
        for (size_t m = 0; m < M; m++) s->loading[m * GP_PARTS + k] = v[m * parts + kept[k]];
        for (size_t i = 0; i < n; i++) // K alpha
            fitted[i * s->parts + k] =
                f[i * parts + kept[k]] - (float)gp_penalties[penalty[k]] * s->alpha[i * s->parts + k];
    }
    free(c), free(gram), free(value), free(v), free(f), free(g), free(scaled), free(alpha), free(best_alpha);
}

static double base_gp_chance(const base_gp *s, size_t model, const float *values)
{
    double p = s->mean[model];
    for (size_t k = 0; k < s->parts; k++) p += (double)(s->loading[model * GP_PARTS + k] * values[k]);
    return p;
}

static void *base_gp_fit(const base_data *d)
{
    base_gp *s = (base_gp *)base_alloc(1, sizeof *s);
    const size_t n = d->train.count, cells = d->models * n;
    float *y = base_floats(cells), *cosine = base_floats(n * n), *fitted = base_floats(n * GP_PARTS);
    base_gp_work work;
    size_t missing = 0;
    s->dim = d->dim;
    s->rows = n;
    s->models = s->fitted = d->models;
    s->enc = base_floats(n * d->dim);
    s->alpha = base_floats(n * GP_PARTS);
    s->mean = (double *)base_alloc(BASE_MAX_MODELS, sizeof *s->mean);
    s->loading = base_floats((size_t)BASE_MAX_MODELS * GP_PARTS);
    memcpy(s->enc, d->train.enc, n * d->dim * sizeof(float));
    base_unit(s->enc, n, d->dim);
    base_mm(0, 1, n, n, d->dim, 1.0f, s->enc, s->enc, 0.0f, cosine);
    for (size_t w = 0; w < GP_WIDTHS; w++) {
        work.u[w] = base_floats(n * n);
        work.value[w] = base_floats(n);
        work.inverse[w] = base_floats(GP_PENALTIES * n);
        base_gp_kernel(cosine, n * n, gp_widths[w], work.u[w]);
        base_eigen(work.u[w], n, work.value[w]);
        base_gp_inverse(work.u[w], work.value[w], n, work.inverse[w]);
    }
    for (size_t m = 0; m < d->models; m++) {
        const float mean = (float)base_mean(d->scores + m * n, n);
        for (size_t i = 0; i < n; i++) {
            const float score = d->scores[m * n + i];
            missing += isnan(score) != 0;
            y[m * n + i] = isnan(score) ? mean : score;
        }
    }
    base_gp_solve(s, &work, y, fitted);
    for (int fill = 0; fill < GP_FILLS && missing; fill++) {
        for (size_t at = 0; at < cells; at++) {
            double p;
            if (!isnan(d->scores[at])) continue;
            p = base_gp_chance(s, at / n, fitted + at % n * s->parts);
            y[at] = (float)(p < 0.0 ? 0.0 : p > 1.0 ? 1.0 : p);
        }
        base_gp_solve(s, &work, y, fitted);
    }
    for (size_t w = 0; w < GP_WIDTHS; w++) free(work.u[w]), free(work.value[w]), free(work.inverse[w]);
    free(y);
    free(cosine);
    free(fitted);
    return s;
}

// values[n, parts] <- the components at these queries
static void base_gp_values(const base_gp *s, const base_queries *q, float *values)
{
    const size_t n = q->count;
    float *x = base_floats(n * s->dim), *cosine = base_floats(n * s->rows), *k = base_floats(n * s->rows);
    memcpy(x, q->enc, n * s->dim * sizeof *x);
    base_unit(x, n, s->dim);
    base_mm(0, 1, n, s->rows, s->dim, 1.0f, x, s->enc, 0.0f, cosine);
    base_gp_kernel(cosine, n * s->rows, s->width, k);
    base_mm(0, 0, n, s->parts, s->rows, 1.0f, k, s->alpha, 0.0f, values);
    free(x), free(cosine), free(k);
}

static void base_gp_predict(const void *state, const base_queries *q, float *logits)
{
    const base_gp *s = (const base_gp *)state;
    float *values = base_floats(q->count * s->parts);
    base_gp_values(s, q, values);
    for (size_t i = 0; i < q->count; i++) {
        for (size_t m = 0; m < s->models; m++) { // not a chance yet: cut, but so that no order is lost
            const double p = base_gp_chance(s, m, values + i * s->parts);
            logits[i * s->models + m] = base_logit(p < 0.01 ? 0.01 : p > 0.99 ? 0.99 : p) + 1e-3f * (float)p;
        }
    }
    free(values);
}

static int base_gp_add(void *state, const base_queries *q, const float *scores)
{
    base_gp *s = (base_gp *)state;
    const size_t n = q->count, d = s->parts + 1; // loadings, then the mean
    double prior[GP_PARTS + 1] = {0}, spread[GP_PARTS + 1] = {0};
    float *values, *f, *a, *b;
    if (s->models == BASE_MAX_MODELS) return 1;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t m = 0; m < s->fitted; m++) {
            for (size_t k = 0; k < d; k++) {
                const double x = k < s->parts ? (double)s->loading[m * GP_PARTS + k] : s->mean[m], e = x - prior[k];
                if (pass == 0) spread[k] += x / (double)s->fitted;
                else spread[k] += e * e / (double)(s->fitted > 1 ? s->fitted - 1 : 1);
            }
        }
        for (size_t k = 0; k < d && pass == 0; k++) {
            prior[k] = spread[k];
            spread[k] = 1e-9;
        }
    }
    values = base_floats(n * s->parts);
    f = base_floats(n * d);
    a = base_floats(d * d);
    b = base_floats(d);
    base_gp_values(s, q, values);
    for (size_t i = 0; i < n; i++) {
        double rest = (double)scores[i] - prior[s->parts];
        if (isnan(scores[i])) continue; // its row of f stays 0
        for (size_t k = 0; k < s->parts; k++) {
            f[i * d + k] = values[i * s->parts + k];
            rest -= prior[k] * (double)values[i * s->parts + k];
        }
        f[i * d + s->parts] = 1.0f;
        cblas_saxpy((int)d, (float)rest / 0.2f, f + i * d, 1, b, 1);
    }
    base_mm(1, 0, d, d, n, 1.0f / 0.2f, f, f, 0.0f, a);
    for (size_t k = 0; k < d; k++) a[k * d + k] += (float)(1.0 / spread[k]);
    base_solve(a, d, b);
    for (size_t k = 0; k < s->parts; k++) s->loading[s->models * GP_PARTS + k] = (float)prior[k] + b[k];
    s->mean[s->models++] = prior[s->parts] + (double)b[s->parts];
    free(values), free(f), free(a), free(b);
    return 0;
}

static void base_gp_truncate(void *state, size_t models)
{
    base_gp *s = (base_gp *)state;
    if (models < s->models) s->models = models;
}

static void base_gp_release(void *state)
{
    base_gp *s = (base_gp *)state;
    free(s->enc);
    free(s->alpha);
    free(s->mean);
    free(s->loading);
    free(s);
}

// --------------------------------------------------------------------------------------------------------- >>list

#define BASE_ROW(name, fit, kind)                                                                                      \
    {                                                                                                                  \
        name, fit, base_##kind##_predict, base_##kind##_add, base_##kind##_truncate, base_##kind##_release, NULL, 1,   \
            NULL, NULL                                                                                                 \
    }
static const base_method base_methods[] = {
    BASE_ROW("leader (model means)", base_leader_fit, means),
    BASE_ROW("kNN 20", base_knn20_fit, knn),
    BASE_ROW("kNN 50", base_knn50_fit, knn),
    BASE_ROW("shrunk clusters", base_clusters_fit, clusters),
    BASE_ROW("logistic regression", base_linear_fit, linear),
    BASE_ROW("IRT-Net", base_irt_fit, factor),
    BASE_ROW("EmbedLLM", base_embedllm_fit, factor),
    BASE_ROW("PCA-GP", base_gp_fit, gp),
    BASE_ROW("category means (told)", base_told_fit, means),
};
#undef BASE_ROW
enum { BASE_METHODS = (int)(sizeof base_methods / sizeof *base_methods) };

// Told what the others are not: shown apart, never the best baseline.
BASE_FN int base_is_told(const char *method) { return strstr(method, "(told)") != NULL; }

// ----------------------------------------------------------------------------------------------------- >>selftest

// The formula of leave-one-out against solving without the row.
static int base_gp_selftest(void)
{
    enum { N = 24, D = 5, PENALTY = 2 };
    float x[N * D], k[N * N], u[N * N], value[N], inverse[GP_PENALTIES * N], f[N], g[N], scaled[N], alpha[N];
    uint64_t r = 9;
    int failures = 0;
    for (size_t i = 0; i < N * D; i++) x[i] = base_normal(&r);
    for (size_t i = 0; i < N; i++) f[i] = base_normal(&r);
    base_unit(x, N, D);
    base_mm(0, 1, N, N, D, 1.0f, x, x, 0.0f, u);
    base_gp_kernel(u, (size_t)N * N, gp_widths[1], k);
    memcpy(u, k, sizeof u);
    base_eigen(u, N, value);
    base_gp_inverse(u, value, N, inverse);
    base_mm(0, 0, N, 1, N, 1.0f, u, f, 0.0f, g);
    base_gp_alpha(u, value, N, g, 1, PENALTY, scaled, alpha);
    for (size_t out = 0; out < N; out++) {
        float a[(N - 1) * (N - 1)], b[N - 1];
        double rest = (double)f[out];
        for (size_t i = 0; i + 1 < N; i++) {
            const size_t from = i + (i >= out);
            for (size_t j = 0; j + 1 < N; j++) a[i * (N - 1) + j] = k[from * N + j + (j >= out)];
            a[i * (N - 1) + i] += (float)gp_penalties[PENALTY];
            b[i] = f[from];
        }
        base_solve(a, N - 1, b);
        for (size_t i = 0; i + 1 < N; i++) rest -= (double)(b[i] * k[(i + (i >= out)) * N + out]);
        if (fabs(rest - (double)alpha[out] / (double)inverse[PENALTY * N + out]) < 1e-3) continue;
        fprintf(stderr, "FAIL PCA-GP: residual of row %u without it %.5f, by formula %.5f\n", (unsigned)out, rest,
                (double)alpha[out] / (double)inverse[PENALTY * N + out]);
        failures++;
    }
    return failures;
}

// Derivatives along random directions, one for each group of parameters, against central differences; the logistic
// fit must end where the gradient is 0. Returns the number of failures.
BASE_FN int base_selftest(void)
{
    enum { N = 40, D = 12, M = 5 };
    int failures = base_gp_selftest();
    for (int irt = 0; irt < 2; irt++) {
        const base_recipe recipe = {irt, 7, 1e-3, 0.0, 0.0, N, 0, 0, 0};
        base_factor s;
        base_batch b;
        uint64_t r = 5;
        size_t model[N], edges[6];
        float y[N];
        float *grad, *keep, *direction;
        memset(&s, 0, sizeof s);
        base_factor_init(&s, M, D, &recipe, &r);
        for (size_t i = s.at_t; i < s.count; i++) s.value[i] = base_normal(&r);
        b.x = base_floats(N * D);
        b.u = base_floats(N * s.outs);
        b.du = base_floats(N * s.outs);
        b.model = model;
        b.y = y;
        for (size_t i = 0; i < N * D; i++) b.x[i] = base_normal(&r);
        for (size_t i = 0; i < N; i++) {
            model[i] = base_below(&r, M);
            y[i] = base_uniform(&r) < 0.4 ? 1.0f : 0.0f;
        }
        grad = base_floats(s.count);
        keep = base_floats(s.count);
        direction = base_floats(s.count);
        base_factor_loss(&s, &b, N, grad);
        memcpy(keep, s.value, s.count * sizeof *keep);
        edges[0] = 0;
        edges[1] = s.at_b;
        edges[2] = s.at_c;
        edges[3] = s.at_bias;
        edges[4] = s.at_t;
        edges[5] = s.count;
        for (size_t group = 0; group < 5; group++) {
            const double h = 5e-3;
            double analytic = 0.0, up, down;
            if (irt && (group == 2 || group == 3)) continue; // not used
            for (size_t i = edges[group]; i < edges[group + 1]; i++) {
                direction[i] = base_normal(&r);
                analytic += (double)grad[i] * (double)direction[i];
                s.value[i] = keep[i] + (float)h * direction[i];
            }
            up = base_factor_loss(&s, &b, N, NULL);
            for (size_t i = edges[group]; i < edges[group + 1]; i++) s.value[i] = keep[i] - (float)h * direction[i];
            down = base_factor_loss(&s, &b, N, NULL);
            memcpy(s.value, keep, s.count * sizeof *keep);
            if (fabs((up - down) / (2.0 * h) - analytic) > 2e-3 * (0.1 + fabs(analytic))) {
                fprintf(stderr, "FAIL %s, parameters %u: derivative %.6f, differences %.6f\n",
                        irt ? "IRT-Net" : "EmbedLLM", (unsigned)group, analytic, (up - down) / (2.0 * h));
                failures++;
            }
        }
        {
            float w[D] = {0}, precision[D], g[D] = {0}, logits[N];
            for (size_t j = 0; j < D; j++) precision[j] = 0.7f;
            base_logistic(b.x, NULL, y, N, D, NULL, precision, w);
            base_logistic_objective(b.x, NULL, y, N, D, NULL, precision, w, logits);
            for (size_t i = 0; i < N; i++) {
                const float e = (float)base_sigmoid((double)logits[i]) - y[i];
                for (size_t j = 0; j < D; j++) g[j] += e * b.x[i * D + j];
            }
            for (size_t j = 0; j < D; j++) {
                if (fabsf(g[j] + precision[j] * w[j]) < 5e-3f) continue;
                fprintf(stderr, "FAIL logistic regression: gradient %.4f at the end\n",
                        (double)(g[j] + precision[j] * w[j]));
                failures++;
            }
        }
        free(b.x);
        free(b.u);
        free(b.du);
        free(grad);
        free(keep);
        free(direction);
        base_factor_release(memcpy(base_alloc(1, sizeof s), &s, sizeof s));
    }
    return failures;
}

#endif
