// SPDX-License-Identifier: MIT
// What LOCUS is measured against: simple and published ways to learn, from evaluations, which model answers which
// query right. Each is small, and all have the one interface `base_method`. Needs a CBLAS (OpenBLAS).
//
// Contents (search for the tag):
//     >>interface  base_data, base_method
//     >>tools      random numbers, products, logistic regression
//     >>constant   best single model; a model drawn at random
//     >>knn        nearest neighbours
//     >>clusters   k-means clusters with each model's accuracy, plain (Avengers) and shrunk
//     >>factor     EmbedLLM's matrix factorisation and IRT-Net
//     >>logistic   one logistic regression per model
//     >>list       all of them
//     >>selftest   derivatives against finite differences
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

enum { BASE_MISSING = 255, BASE_MAX_MODELS = 256 }; // models of a state, fitted and added

// What a method may learn from. Scores: 0, 1 or 255 = missing. Validation scores are for the choice of
// hyper-parameters and checkpoints only.
typedef struct base_data {
    size_t models, rows, dim;
    const float *enc;            // [rows, dim] the evaluated queries
    const unsigned char *scores; // [models, rows]
    const size_t *columns;       // [rows] their places in the data set
    const int32_t *category;     // [rows] their subjects; NULL: unknown
    size_t val_rows;             // 0: no validation data
    const float *val_enc;        // [val_rows, dim]
    const unsigned char *val_scores;
    size_t free_rows; // training queries, all of them: encodings without scores
    const float *free_enc;
    uint64_t seed;
} base_data;

typedef struct base_method {
    const char *name;
    void *(*fit)(const base_data *d); // the state keeps no pointer into d; NULL: failed
    // logits[n, models], fitted models first, then the added ones in order
    void (*predict)(const void *state, const float *enc, size_t n, float *logits);
    // Appends a model known by n evaluations; all that was fitted stays as it is.
    int (*add)(void *state, const float *enc, const unsigned char *scores, size_t n, uint64_t seed);
    // Forgets added models beyond the first `models`.
    void (*truncate)(void *state, size_t models);
    // The model's vector; returns its length. out may be NULL. A method without embeddings has NULL here.
    size_t (*embedding)(const void *state, size_t model, float *out);
    void (*release)(void *state);
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
BASE_FN double base_mean(const unsigned char *scores, size_t n)
{
    double right = 1.0, count = 2.0;
    for (size_t i = 0; i < n; i++) {
        if (scores[i] == BASE_MISSING) continue;
        right += (double)scores[i];
        count += 1.0;
    }
    return right / count;
}

// Mean cross-entropy of logits [n, models] against scores [models, n].
BASE_FN double base_bce(const float *logits, const unsigned char *scores, size_t n, size_t models)
{
    double sum = 0.0;
    size_t pairs = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t m = 0; m < models; m++) {
            const unsigned char y = scores[m * n + i];
            const double x = (double)logits[i * models + m];
            if (y == BASE_MISSING) continue;
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

static double base_logistic_objective(const float *f, const float *offset, const unsigned char *y, size_t n, size_t d,
                                      const float *mean, const float *precision, const float *w, float *logits)
{
    double sum = 0.0;
    if (offset) memcpy(logits, offset, n * sizeof *logits);
    base_mm(0, 1, n, 1, d, 1.0f, f, w, offset ? 1.0f : 0.0f, logits);
    for (size_t i = 0; i < n; i++) {
        if (y[i] == BASE_MISSING) continue;
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
BASE_FN void base_logistic(const float *f, const float *offset, const unsigned char *y, size_t n, size_t d,
                           const float *mean, const float *precision, float *w)
{
    float *logits = base_floats(n), *scaled = base_floats(n * d), *h = base_floats(d * d), *g = base_floats(d);
    float *next = base_floats(d), *r = base_floats(n);
    double value = base_logistic_objective(f, offset, y, n, d, mean, precision, w, logits);
    for (int step = 0; step < 25; step++) {
        double rate = 1.0, after = value;
        for (size_t i = 0; i < n; i++) {
            const float p = (float)base_sigmoid((double)logits[i]), s = sqrtf(p * (1.0f - p));
            const float used = y[i] == BASE_MISSING ? 0.0f : 1.0f;
            r[i] = used * (p - (float)y[i]);
            for (size_t j = 0; j < d; j++) scaled[i * d + j] = used * s * f[i * d + j];
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

// ----------------------------------------------------------------------------------------------------- >>constant
// Best single model: each model's mean score, whatever the query. Random: the pool's mean, in random order.

typedef struct base_constant {
    size_t models, dim;
    int random;
    double p[BASE_MAX_MODELS];
    uint64_t seed;
} base_constant;

static base_constant *base_constant_fit(const base_data *d, int random)
{
    base_constant *s = (base_constant *)base_alloc(1, sizeof *s);
    s->models = d->models;
    s->dim = d->dim;
    s->random = random;
    s->seed = d->seed;
    for (size_t m = 0; m < d->models; m++) s->p[m] = base_mean(d->scores + m * d->rows, d->rows);
    return s;
}

static void *base_best_fit(const base_data *d) { return base_constant_fit(d, 0); }
static void *base_random_fit(const base_data *d) { return base_constant_fit(d, 1); }

static void base_constant_predict(const void *state, const float *enc, size_t n, float *logits)
{
    const base_constant *s = (const base_constant *)state;
    uint64_t r = s->seed;
    double mean = 0.0;
    (void)enc;
    for (size_t m = 0; m < s->models; m++) mean += s->p[m] / (double)s->models;
    for (size_t i = 0; i < n * s->models; i++) {
        if (s->random) {
            logits[i] = base_logit(mean) + 1e-4f * (float)base_uniform(&r);
        } else {
            logits[i] = base_logit(s->p[i % s->models]);
        }
    }
}

static int base_constant_add(void *state, const float *enc, const unsigned char *scores, size_t n, uint64_t seed)
{
    base_constant *s = (base_constant *)state;
    (void)enc;
    (void)seed;
    if (s->models == BASE_MAX_MODELS) return 1;
    s->p[s->models++] = base_mean(scores, n);
    return 0;
}

static void base_constant_truncate(void *state, size_t models) { ((base_constant *)state)->models = models; }

// ---------------------------------------------------------------------------------------------------------- >>knn
// Mean score on the k evaluated queries nearest by cosine, with one success and one failure added. The models that were
// fitted share a table of queries, each added model has its own.

enum { KNN_K = 50 };

typedef struct base_table {
    size_t rows, models, k;
    float *enc;            // [rows, dim], unit length
    unsigned char *scores; // [models, rows]
    double mean[BASE_MAX_MODELS];
} base_table;

typedef struct base_knn {
    size_t dim, tables, fitted;
    base_table *table; // [0] of the fitted models, then one for each added model
} base_knn;

BASE_FN void base_unit(float *rows, size_t n, size_t dim)
{
    for (size_t i = 0; i < n; i++) {
        const float norm = cblas_snrm2((int)dim, rows + i * dim, 1);
        if (norm > 0.0f) cblas_sscal((int)dim, 1.0f / norm, rows + i * dim, 1);
    }
}

static void base_table_fill(base_table *t, const float *enc, const unsigned char *scores, size_t rows, size_t models,
                            size_t dim)
{
    t->rows = rows;
    t->models = models;
    t->k = rows < KNN_K ? rows : KNN_K;
    t->enc = base_floats(rows * dim);
    t->scores = (unsigned char *)base_alloc(rows * models, 1);
    memcpy(t->enc, enc, rows * dim * sizeof *enc);
    memcpy(t->scores, scores, rows * models);
    base_unit(t->enc, rows, dim);
    for (size_t m = 0; m < models; m++) t->mean[m] = base_mean(scores + m * rows, rows);
}

static void base_knn_truncate(void *state, size_t models)
{
    base_knn *s = (base_knn *)state;
    while (s->fitted + s->tables - 1 > models && s->tables > 1) {
        s->tables--;
        free(s->table[s->tables].enc);
        free(s->table[s->tables].scores);
    }
}

static void *base_knn_fit(const base_data *d)
{
    base_knn *s = (base_knn *)base_alloc(1, sizeof *s);
    s->dim = d->dim;
    s->tables = 1;
    s->fitted = d->models;
    s->table = (base_table *)base_alloc(BASE_MAX_MODELS, sizeof *s->table);
    base_table_fill(&s->table[0], d->enc, d->scores, d->rows, d->models, d->dim);
    return s;
}

static int base_knn_add(void *state, const float *enc, const unsigned char *scores, size_t n, uint64_t seed)
{
    base_knn *s = (base_knn *)state;
    (void)seed;
    if (s->tables == BASE_MAX_MODELS) return 1;
    base_table_fill(&s->table[s->tables++], enc, scores, n, 1, s->dim);
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

static void base_knn_predict(const void *state, const float *enc, size_t n, float *logits)
{
    const base_knn *s = (const base_knn *)state;
    const size_t models = s->fitted + s->tables - 1;
    float *q = base_floats(n * s->dim);
    size_t first = 0;
    memcpy(q, enc, n * s->dim * sizeof *q);
    base_unit(q, n, s->dim);
    for (size_t t = 0; t < s->tables; t++) {
        const base_table *table = &s->table[t];
        float *similar = base_floats(n * table->rows);
        base_mm(0, 1, n, table->rows, s->dim, 1.0f, q, table->enc, 0.0f, similar);
        for (size_t i = 0; i < n; i++) {
            size_t near[KNN_K];
            base_greatest(similar + i * table->rows, table->rows, table->k, near);
            for (size_t m = 0; m < table->models; m++) {
                double right = 1.0, count = 2.0;
                for (size_t j = 0; j < table->k; j++) {
                    const unsigned char y = table->scores[m * table->rows + near[j]];
                    if (y == BASE_MISSING) continue;
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
    free(s->table[0].enc);
    free(s->table[0].scores);
    free(s->table);
    free(s);
}

// ----------------------------------------------------------------------------------------------------- >>clusters
// k-means over the training queries' encodings; in each cluster a model's accuracy, shrunk to the model's mean as if it
// had `weight` more evaluations there. Plain (the Avengers): one clustering, as fine as the evaluations allow.
// Shrunk: 20 and 100 clusters, weight 24, the two probabilities averaged.

typedef struct base_clusters {
    size_t dim, models, levels, k[2];
    double weight;
    float *centroid[2]; // [k, dim]
    float *p[2];        // [BASE_MAX_MODELS, k]
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

static int base_clusters_add(void *state, const float *enc, const unsigned char *scores, size_t n, uint64_t seed)
{
    base_clusters *s = (base_clusters *)state;
    const double mean = base_mean(scores, n);
    size_t *of;
    (void)seed;
    if (s->models == BASE_MAX_MODELS) return 1;
    of = (size_t *)base_alloc(n, sizeof *of);
    for (size_t l = 0; l < s->levels; l++) {
        float *p = s->p[l] + s->models * s->k[l];
        base_assign(enc, n, s->dim, s->centroid[l], s->k[l], of);
        for (size_t c = 0; c < s->k[l]; c++) {
            double right = s->weight * mean, count = s->weight;
            for (size_t i = 0; i < n; i++) {
                if (of[i] != c || scores[i] == BASE_MISSING) continue;
                right += (double)scores[i];
                count += 1.0;
            }
            p[c] = (float)(right / count);
        }
    }
    s->models++;
    free(of);
    return 0;
}

static void *base_clusters_fit(const base_data *d, size_t levels, size_t k0, size_t k1, double weight)
{
    base_clusters *s = (base_clusters *)base_alloc(1, sizeof *s);
    const int all = d->free_rows > 0; // centroids need no scores
    s->dim = d->dim;
    s->levels = levels;
    s->weight = weight;
    s->k[0] = k0;
    s->k[1] = k1;
    for (size_t l = 0; l < levels; l++) {
        s->centroid[l] = base_floats(s->k[l] * s->dim);
        s->p[l] = base_floats((size_t)BASE_MAX_MODELS * s->k[l]);
        base_kmeans(all ? d->free_enc : d->enc, all ? d->free_rows : d->rows, s->dim, s->k[l], d->seed + l,
                    s->centroid[l]);
    }
    for (size_t m = 0; m < d->models; m++) base_clusters_add(s, d->enc, d->scores + m * d->rows, d->rows, 0);
    return s;
}

static void *base_plain_fit(const base_data *d)
{
    const size_t k = d->rows / 32;
    return base_clusters_fit(d, 1, k < 2 ? 2 : k > 64 ? 64 : k, 0, 1.0);
}

static void *base_shrunk_fit(const base_data *d) { return base_clusters_fit(d, 2, 20, 100, 24.0); }

static void base_clusters_predict(const void *state, const float *enc, size_t n, float *logits)
{
    const base_clusters *s = (const base_clusters *)state;
    size_t *of[2];
    for (size_t l = 0; l < s->levels; l++) {
        of[l] = (size_t *)base_alloc(n, sizeof *of[l]);
        base_assign(enc, n, s->dim, s->centroid[l], s->k[l], of[l]);
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t m = 0; m < s->models; m++) {
            double p = 0.0;
            for (size_t l = 0; l < s->levels; l++) p += (double)s->p[l][m * s->k[l] + of[l][i]];
            logits[i * s->models + m] = base_logit(p / (double)s->levels);
        }
    }
    for (size_t l = 0; l < s->levels; l++) free(of[l]);
}

static void base_clusters_truncate(void *state, size_t models)
{
    base_clusters *s = (base_clusters *)state;
    if (models < s->models) s->models = models;
}

static void base_clusters_release(void *state)
{
    base_clusters *s = (base_clusters *)state;
    for (size_t l = 0; l < s->levels; l++) {
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
    size_t batch, epochs;
    size_t steps, every, patience; // steps > 0: that many instead of epochs, and keep the best on validation
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
    unsigned char *y;
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

static void base_factor_predict(const void *state, const float *enc, size_t n, float *logits)
{
    const base_factor *s = (const base_factor *)state;
    float *u = base_floats(n * s->outs), *v = base_floats(n * s->width);
    const float bias = base_factor_bias(s);
    base_factor_map(s, enc, n, u);
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
    size_t pairs = 0, at = 0, step = 0, steps, left, *order;
    float *grad, *m, *v, *best, *noise, *val_logits;
    double best_loss = 1e30;
    base_batch b;
    base_factor_init(s, d->models, d->dim, recipe, &r);
    order = (size_t *)base_alloc(d->models * d->rows, sizeof *order);
    for (size_t i = 0; i < d->models * d->rows; i++)
        if (d->scores[i] != BASE_MISSING) order[pairs++] = i;
    b.x = base_floats(recipe->batch * d->dim);
    b.u = base_floats(recipe->batch * s->outs);
    b.du = base_floats(recipe->batch * s->outs);
    b.model = (size_t *)base_alloc(recipe->batch, sizeof *b.model);
    b.y = (unsigned char *)base_alloc(recipe->batch, 1);
    grad = base_floats(s->count);
    m = base_floats(s->count);
    v = base_floats(s->count);
    best = base_floats(s->count);
    noise = base_floats(FACTOR_NOISE);
    val_logits = base_floats(d->val_rows * d->models);
    for (size_t i = 0; i < FACTOR_NOISE; i++) noise[i] = (float)recipe->noise * base_normal(&r);
    steps = recipe->steps ? recipe->steps : recipe->epochs * ((pairs + recipe->batch - 1) / recipe->batch);
    left = recipe->patience;
    while (step < steps) {
        size_t n;
        if (at == 0) base_shuffle(order, pairs, &r);
        n = pairs - at < recipe->batch ? pairs - at : recipe->batch;
        for (size_t i = 0; i < n; i++) {
            const size_t pair = order[at + i], row = pair % d->rows;
            const float *e = noise + base_below(&r, FACTOR_NOISE - d->dim), *q = d->enc + row * d->dim;
            float *x = b.x + i * d->dim;
            for (size_t j = 0; j < d->dim; j++) x[j] = q[j] + e[j];
            b.model[i] = pair / d->rows;
            b.y[i] = d->scores[pair];
        }
        at = at + n == pairs ? 0 : at + n;
        base_factor_loss(s, &b, n, grad);
        base_adam(s->value, grad, m, v, s->count, ++step, recipe->rate, recipe->decay);
        if (recipe->steps && d->val_rows && step % recipe->every == 0) {
            double loss;
            base_factor_predict(s, d->val_enc, d->val_rows, val_logits);
            loss = base_bce(val_logits, d->val_scores, d->val_rows, d->models);
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
    const base_recipe r = {0, 232, 1e-4, 1e-5, 0.05, 2048, 50, 0, 0, 0};
    return base_factor_fit(d, &r);
}

static void *base_embedllm_tuned_fit(const base_data *d)
{
    const base_recipe r = {0, 232, 1e-3, 1e-5, 0.05, 2048, 0, 1500, 25, 8};
    return base_factor_fit(d, &r);
}

static void *base_irt_fit(const base_data *d)
{
    const base_recipe r = {1, 64, 1e-3, 1e-5, 0.05, 2048, 0, 2000, 25, 8};
    return base_factor_fit(d, &r);
}

// The pool's vectors vary along few directions, together: the prior has their covariance, nine tenths of it as it is
// and one tenth of its diagonal. In coordinates a ~ Normal(0, 1), t = mean + [spread of the fitted models, diagonal] a.
static int base_factor_add(void *state, const float *enc, const unsigned char *scores, size_t n, uint64_t seed)
{
    enum { OWN = 10 }; // one OWNth is the diagonal's
    base_factor *s = (base_factor *)state;
    const size_t w = s->width, rank = s->fitted + w;
    float *t = s->value + s->at_t + s->models * w, *u, *f, *offset, *basis, *projected, *precision, *a;
    (void)seed;
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
    base_factor_map(s, enc, n, u);
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

static size_t base_factor_embedding(const void *state, size_t model, float *out)
{
    const base_factor *s = (const base_factor *)state;
    if (out) memcpy(out, s->value + s->at_t + model * s->width, s->width * sizeof *out);
    return s->width;
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

static int base_linear_add(void *state, const float *enc, const unsigned char *scores, size_t n, uint64_t seed)
{
    base_linear *s = (base_linear *)state;
    const size_t d = s->dim + 1;
    float *f, *precision;
    (void)seed;
    if (s->models == BASE_MAX_MODELS) return 1;
    f = base_floats(n * d);
    precision = base_floats(d);
    for (size_t i = 0; i < n; i++) {
        memcpy(f + i * d, enc + i * s->dim, s->dim * sizeof *f);
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

static void base_linear_predict(const void *state, const float *enc, size_t n, float *logits)
{
    const base_linear *s = (const base_linear *)state;
    const size_t d = s->dim + 1;
    for (size_t i = 0; i < n; i++)
        for (size_t m = 0; m < s->models; m++) logits[i * s->models + m] = s->w[m * d + s->dim];
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)s->models, (int)s->dim, 1.0f, enc, (int)s->dim,
                s->w, (int)d, 1.0f, logits, (int)s->models);
}

static void *base_linear_fit(const base_data *d)
{
    static const float penalties[] = {0.5f, 1.0f, 2.0f, 4.0f};
    base_linear *s = (base_linear *)base_alloc(1, sizeof *s);
    const size_t weights = (size_t)BASE_MAX_MODELS * (d->dim + 1);
    float *best = base_floats(weights), *logits = base_floats(d->val_rows * d->models), best_penalty = 0.0f;
    double best_loss = 1e30;
    s->dim = d->dim;
    s->w = base_floats(weights);
    for (size_t p = 0; p < sizeof penalties / sizeof *penalties; p++) {
        double loss;
        s->models = 0;
        s->penalty = d->val_rows ? penalties[p] : 1.0f;
        for (size_t m = 0; m < d->models; m++) base_linear_add(s, d->enc, d->scores + m * d->rows, d->rows, 0);
        if (!d->val_rows) break;
        base_linear_predict(s, d->val_enc, d->val_rows, logits);
        loss = base_bce(logits, d->val_scores, d->val_rows, d->models);
        if (loss < best_loss) {
            best_loss = loss;
            best_penalty = penalties[p];
            memcpy(best, s->w, weights * sizeof *best);
        }
    }
    if (d->val_rows) {
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

// --------------------------------------------------------------------------------------------------------- >>list

static const base_method base_methods[] = {
    {"random", base_random_fit, base_constant_predict, base_constant_add, base_constant_truncate, NULL, free},
    {"best single model", base_best_fit, base_constant_predict, base_constant_add, base_constant_truncate, NULL, free},
    {"kNN", base_knn_fit, base_knn_predict, base_knn_add, base_knn_truncate, NULL, base_knn_release},
    {"clusters", base_plain_fit, base_clusters_predict, base_clusters_add, base_clusters_truncate, NULL,
     base_clusters_release},
    {"shrunk clusters", base_shrunk_fit, base_clusters_predict, base_clusters_add, base_clusters_truncate, NULL,
     base_clusters_release},
    {"logistic regression", base_linear_fit, base_linear_predict, base_linear_add, base_linear_truncate, NULL,
     base_linear_release},
    {"EmbedLLM", base_embedllm_fit, base_factor_predict, base_factor_add, base_factor_truncate, base_factor_embedding,
     base_factor_release},
    {"EmbedLLM tuned", base_embedllm_tuned_fit, base_factor_predict, base_factor_add, base_factor_truncate,
     base_factor_embedding, base_factor_release},
    {"IRT-Net", base_irt_fit, base_factor_predict, base_factor_add, base_factor_truncate, base_factor_embedding,
     base_factor_release},
};
enum { BASE_METHODS = (int)(sizeof base_methods / sizeof *base_methods) };

// ----------------------------------------------------------------------------------------------------- >>selftest

// Derivatives along random directions, one for each group of parameters, against central differences; the logistic
// fit must end where the gradient is 0. Returns the number of failures.
BASE_FN int base_selftest(void)
{
    enum { N = 40, D = 12, M = 5 };
    int failures = 0;
    for (int irt = 0; irt < 2; irt++) {
        const base_recipe recipe = {irt, 7, 1e-3, 0.0, 0.0, N, 1, 0, 0, 0};
        base_factor s;
        base_batch b;
        uint64_t r = 5;
        size_t model[N], edges[6];
        unsigned char y[N];
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
            y[i] = base_uniform(&r) < 0.4;
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
                const float e = (float)base_sigmoid((double)logits[i]) - (float)y[i];
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
