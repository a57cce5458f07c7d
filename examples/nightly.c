// SPDX-License-Identifier: MIT
// A nightly check of a running router: which of its models are copies of each other, and is an endpoint still the model
// that its name says?
//
//     cc -O2 examples/nightly.c -o build/nightly -lm
//     build/nightly ROUTER.safetensors ENCODINGS.npy SCORES.npy NAME
//
// ROUTER: net and pool. ENCODINGS: f4 [n, q_dim], queries that were asked tonight; SCORES: u1 [n] or [k, n], 1 right, 0
// wrong, 255 not asked: the endpoint's answers tonight, and in further rows those of other endpoints or other nights.
// NAME: the pool's model that the endpoint is said to be. Ends with status 3 if the alarm sounds.

#define LOCUS_IMPLEMENTATION
#include "../locus.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALPHA 0.01       // false alarms, in all the nights that a watch is carried on
#define CORRELATION 0.43 // of different models' answers: 0.95 quantile of 33 models (locus_answer_correlation)
#define SHOWN 5

static locus_error err;
static locus_net *net;
static locus_pool *pool;
static locus_array encodings, scores;

static int fail(const char *message)
{
    fprintf(stderr, "nightly: %s\n", message);
    return 1;
}

// Share of unlike answers that the predictor expects of two models.
static double unlike(const float *logits, size_t n, size_t a, size_t b)
{
    size_t m = locus_pool_count(pool);
    double sum = 0.0;
    for (size_t i = 0; i < n; ++i) {
        double p = locus_probability((double)logits[i * m + a]), q = locus_probability((double)logits[i * m + b]);
        sum += p * (1.0 - q) + (1.0 - p) * q;
    }
    return sum / (double)n;
}

static double cosine(size_t a, size_t b)
{
    const float *x = locus_pool_embedding(pool, a), *y = locus_pool_embedding(pool, b);
    double xx = 0.0, yy = 0.0, xy = 0.0;
    for (size_t i = 0; i < locus_net_get_info(net).z_dim; ++i) {
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
        xy += (double)x[i] * (double)y[i];
    }
    return xx > 0.0 && yy > 0.0 ? 1.0 - xy / sqrt(xx * yy) : 1.0;
}

// The pairs of models that lie closest.
static void copies(const float *logits, size_t n)
{
    double least[SHOWN];
    size_t pair[SHOWN][2], found = 0;
    for (size_t a = 0; a < locus_pool_count(pool); ++a)
        for (size_t b = a + 1; b < locus_pool_count(pool); ++b) {
            double d = cosine(a, b);
            size_t at = found < SHOWN ? found++ : SHOWN;
            for (; at > 0 && d < least[at - 1]; --at)
                if (at < SHOWN) {
                    least[at] = least[at - 1];
                    memcpy(pair[at], pair[at - 1], sizeof pair[at]);
                }
            if (at == SHOWN) continue;
            least[at] = d;
            pair[at][0] = a;
            pair[at][1] = b;
        }
    printf("closest models of the pool, by cosine (the paper calls copies what lies below 1e-5):\n");
    for (size_t i = 0; i < found; ++i)
        printf("  %.5f  %s, %s: unlike answers expected %.0f %%\n", least[i], locus_pool_model(pool, pair[i][0])->name,
               locus_pool_model(pool, pair[i][1])->name, 100.0 * unlike(logits, n, pair[i][0], pair[i][1]));
}

// Tonight's answers against a model's predictions; *when: the answer at which the alarm sounded, 0: it did not.
static double watch(const float *logits, size_t n, size_t model, size_t *when)
{
    const unsigned char *answer = (const unsigned char *)scores.data;
    locus_watch w; // a service keeps this from night to night
    double e = 1.0;
    memset(&w, 0, sizeof w);
    *when = 0;
    for (size_t i = 0; i < n; ++i) {
        if (answer[i] == 255) continue;
        e = locus_watch_add(&w, locus_probability((double)logits[i * locus_pool_count(pool) + model]), answer[i]);
        if (e >= 1.0 / ALPHA && *when == 0) *when = w.answers;
    }
    return e;
}

// Do two rows of answers come from one model? p: what the claimed model would know.
static int compare(const float *p, size_t n, size_t rows)
{
    locus_scores answers;
    memset(&answers, 0, sizeof answers);
    answers.models = rows;
    answers.count = n;
    answers.u8 = (const unsigned char *)scores.data;
    for (size_t r = 1; r < rows; ++r) {
        locus_likeness l;
        if (locus_same_answers(&l, p, p, &answers, 0, r, CORRELATION, NULL, &err)) return fail(err.message);
        printf("row %zu: %zu of %zu answers differ; so few between different models: p = %.2g%s\n", r, l.disagreements,
               l.shared, l.p, l.p < ALPHA ? ": one model, or copies" : "");
    }
    return 0;
}

static int run(char **argv, int *alarm)
{
    if (locus_net_open(&net, argv[1], NULL, &err) || locus_pool_open(&pool, net, argv[1], NULL, &err) ||
        locus_npy_open(&encodings, argv[2], &err) || locus_npy_open(&scores, argv[3], &err))
        return fail(err.message);
    if (encodings.dtype != LOCUS_F32 || encodings.rank != 2) return fail("ENCODINGS: expected f4 [n, q_dim]");
    size_t n = encodings.shape[0], m = locus_pool_count(pool), claimed = locus_pool_find(pool, argv[4]);
    if (scores.dtype != LOCUS_U8 || scores.rank > 2 || scores.rank == 0 || scores.shape[scores.rank - 1] != n || !n ||
        !scores.count)
        return fail("SCORES: expected u1 [n] or [k, n]");
    if (claimed == SIZE_MAX) return fail("NAME: the pool has no such model");

    locus_queries q;
    memset(&q, 0, sizeof q);
    q.encodings = (const float *)encodings.data;
    q.count = n;
    q.dim = encodings.shape[1];
    float *logits = (float *)malloc(n * m * sizeof *logits), *p = (float *)malloc(n * sizeof *p);
    int failed = logits && p ? 0 : fail("out of memory");
    if (!failed && locus_predict(pool, &q, logits, NULL, &err)) failed = fail(err.message);
    if (!failed) {
        size_t when;
        copies(logits, n);
        double e = watch(logits, n, claimed, &when);
        printf("is it still %s? e-value %.3g", argv[4], e);
        if (when) printf(", alarm (1 / %.2g) at answer %zu: no\n", ALPHA, when);
        else printf(": no sign of another model\n");
        *alarm = when != 0;
        for (size_t i = 0; i < m && *alarm; ++i) {
            watch(logits, n, i, &when);
            if (!when) printf("  its answers would fit %s\n", locus_pool_model(pool, i)->name);
        }
        for (size_t i = 0; i < n; ++i) p[i] = (float)locus_probability((double)logits[i * m + claimed]);
        failed = compare(p, n, scores.count / n);
    }
    free(p);
    free(logits);
    return failed;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: nightly ROUTER.safetensors ENCODINGS.npy SCORES.npy NAME\n");
        return 2;
    }
    int alarm = 0, status = run(argv, &alarm);
    locus_array_close(&scores);
    locus_array_close(&encodings);
    locus_pool_destroy(pool);
    locus_net_destroy(net);
    return status ? status : alarm ? 3 : 0;
}
