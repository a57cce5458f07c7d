// SPDX-License-Identifier: MIT
// Tests of calibration, reliability, duplicates and the watch: against an independent optimiser, against enumeration,
// against simulated false-alarm rates, and against the promises of locus.h.
//
//     cc -O2 tests/test_evidence.c -o build/test_evidence -lm -lpthread && build/test_evidence
//
// Run from the root of the repository. LOCUS_TEST_TMP: for files (default /tmp).

#define TEST_FILE "test_evidence.c"
#include "harness.h"

static double uniform(void) { return ref_uniform(&g_rng); }

typedef struct world {
    locus_safetensors st;
    locus_net *net;
    locus_pool *pool;
    size_t q, d, M, n;
    float *enc, *logits;
    unsigned char *scores; // [M, n]
} world;

// The shipped router, and answers drawn from a distortion of its predictions.
static int world_make(world *w, size_t n)
{
    size_t m, i;
    ZERO(*w);
    if (!CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&w->st, "examples/data/router.safetensors", &g_err)) ||
        !CHECK_STATUS(LOCUS_OK, locus_net_create(&w->net, &w->st, NULL, &g_err)) ||
        !CHECK_STATUS(LOCUS_OK, locus_pool_load(&w->pool, w->net, &w->st, NULL, &g_err)))
        return 0;
    w->q = locus_net_get_info(w->net).q_dim;
    w->d = locus_net_get_info(w->net).z_dim;
    w->M = locus_pool_count(w->pool);
    w->n = n;
    w->enc = normals(n * w->q, 0.06, 5);
    w->logits = floats(n * w->M);
    w->scores = (unsigned char *)xmalloc(n * w->M);
    locus_pool_calibrate(w->pool, NULL, NULL, NULL);
    {
        locus_queries q = queries_of(w->enc, n, w->q);
        CHECK_STATUS(LOCUS_OK, predict(w->pool, &q, w->logits, NULL));
    }
    for (m = 0; m < w->M; m++)
        for (i = 0; i < n; i++) {
            double t = (0.6 + 0.02 * (double)m) * (double)w->logits[i * w->M + m] + 0.1 * ((double)m - 12.0);
            w->scores[m * n + i] = uniform() < 0.1 ? 255 : uniform() < 1.0 / (1.0 + exp(-t));
        }
    return 1;
}

static void world_free(world *w)
{
    locus_pool_destroy(w->pool);
    locus_net_destroy(w->net);
    locus_safetensors_close(&w->st);
    free(w->enc), free(w->logits), free(w->scores);
}

static locus_evals world_evals(const world *w)
{
    locus_evals e;
    ZERO(e);
    e.queries = queries_of(w->enc, w->n, w->q);
    e.scores.models = w->M;
    e.scores.u8 = w->scores;
    return e;
}

// ---------------------------------------------------------------------------------------------------- calibration

// Penalised loss of models from .. to, written down once more.
static double plain_loss(const world *w, size_t from, size_t to, double a, double b, const double c[2],
                         const double k[2])
{
    double sum = 0.5 * (k[0] * (a - c[0]) * (a - c[0]) + k[1] * (b - c[1]) * (b - c[1]));
    for (size_t m = from; m < to; m++)
        for (size_t i = 0; i < w->n; i++) {
            const unsigned char y = w->scores[m * w->n + i];
            const double t = a * (double)w->logits[i * w->M + m] + b;
            if (y != 255) sum += log(1.0 + exp(y ? -t : t));
        }
    return sum;
}

// Golden sections along each coordinate in turn: slow, and nothing in common with Newton.
static void plain_fit(const world *w, size_t from, size_t to, const double c[2], const double k[2], double out[2])
{
    const double g = 0.6180339887498949;
    out[0] = c[0], out[1] = c[1];
    for (int turn = 0; turn < 90; turn++) {
        double *x = &out[turn % 2], low = *x - 2.0 / (1 + turn), high = *x + 2.0 / (1 + turn);
        for (int i = 0; i < 40; i++) {
            double u = high - g * (high - low), v = low + g * (high - low), fu, fv;
            *x = u, fu = plain_loss(w, from, to, out[0], out[1], c, k);
            *x = v, fv = plain_loss(w, from, to, out[0], out[1], c, k);
            if (fu < fv) high = v;
            else low = u;
        }
        *x = 0.5 * (low + high);
    }
}

// The pool's pair drawn back to (1, 0): what is off, less four times its variance over what is off. The variance
// (Huber's) is that of the sums of whole queries, all models' answers to one together.
static void plain_steady(const world *w, const double fit[2], double out[2])
{
    double noise[2] = {0.0, 0.0}, bend[2] = {4.0, 4.0}; // the weak prior's
    for (size_t i = 0; i < w->n; i++) {
        double sum[2] = {0.0, 0.0};
        for (size_t m = 0; m < w->M; m++) {
            const unsigned char y = w->scores[m * w->n + i];
            const double x = (double)w->logits[i * w->M + m], p = 1.0 / (1.0 + exp(-fit[0] * x - fit[1]));
            if (y == 255) continue;
            sum[0] += (p - y) * x, sum[1] += p - y;
            bend[0] += p * (1.0 - p) * x * x, bend[1] += p * (1.0 - p);
        }
        noise[0] += sum[0] * sum[0], noise[1] += sum[1] * sum[1];
    }
    for (int j = 0; j < 2; j++) {
        const double off = fit[j] - (j ? 0.0 : 1.0), error = 4.0 * noise[j] / bend[j] / bend[j];
        out[j] = fit[j] - (off * off > error ? error / off : off);
    }
}

static void test_calibration(void)
{
    static const double one[2] = {1.0, 0.0}, weak[2] = {4.0, 4.0};
    world w;
    double shared[2], steady[2], pair[2], k[2], v = 0.0, vx = 0.0, pairs = 0.0;
    float *after, *again;
    if (!world_make(&w, 150)) return;
    locus_evals e = world_evals(&w);
    locus_queries q = e.queries;
    for (size_t i = 0; i < w.n; i++) w.scores[4 * w.n + i] = 255; // model 4 has no evaluation
    CHECK_NEAR(1.0, (double)locus_pool_calibration(w.pool, 3).scale, 0.0);
    CHECK_STATUS(LOCUS_OK, locus_pool_calibrate(w.pool, &e, NULL, &g_err));
    plain_fit(&w, 0, w.M, one, weak, shared);
    plain_steady(&w, shared, steady);
    CHECK(fabs(steady[0] - shared[0]) > 0.002 && fabs(steady[1] - shared[1]) > 0.002);
    CHECK_NEAR(steady[0], (double)locus_pool_calibration(w.pool, SIZE_MAX).scale, 2e-4);
    CHECK_NEAR(steady[1], (double)locus_pool_calibration(w.pool, SIZE_MAX).shift, 2e-4);
    for (size_t m = 0; m < w.M; m++)
        for (size_t i = 0; i < w.n; i++) {
            const double x = (double)w.logits[i * w.M + m], p = 1.0 / (1.0 + exp(-shared[0] * x - shared[1]));
            if (w.scores[m * w.n + i] == 255) continue;
            v += p * (1.0 - p), vx += p * (1.0 - p) * x * x, pairs += 1.0;
        }
    CHECK_NEAR((double)locus_pool_calibration(w.pool, SIZE_MAX).scale, (double)locus_pool_calibration(w.pool, 4).scale,
               1e-6);
    { // how far models are held to the pool: by what the models' first steps vary beyond their noise
        double variance[2] = {0.0, 0.0}, bends[2] = {0.0, 0.0}, count = 0.0;
        for (size_t m = 0; m < w.M; m++) {
            double slope[2] = {0.0, 0.0}, bend[2] = {0.0, 0.0};
            for (size_t i = 0; i < w.n; i++) {
                const double x = (double)w.logits[i * w.M + m], p = 1.0 / (1.0 + exp(-shared[0] * x - shared[1]));
                if (w.scores[m * w.n + i] == 255) continue;
                slope[0] += (p - w.scores[m * w.n + i]) * x, slope[1] += p - w.scores[m * w.n + i];
                bend[0] += p * (1.0 - p) * x * x, bend[1] += p * (1.0 - p);
            }
            if (m == 4) continue;
            count += 1.0;
            for (int j = 0; j < 2; j++) {
                variance[j] += slope[j] / bend[j] * slope[j] / bend[j] - 1.0 / bend[j];
                bends[j] += bend[j];
            }
        }
        for (int j = 0; j < 2; j++) {
            double shrink = pairs / (variance[j] / count * bends[j]);
            if (!(shrink > 0.0 && shrink < 5000.0)) shrink = 5000.0;
            k[j] = 1.0 + (shrink < 20.0 ? 20.0 : shrink) * (j ? v : vx) / pairs;
        }
        for (size_t m = 0; m < w.M; m += 4) {
            context("model %zu", m);
            plain_fit(&w, m, m + 1, shared, k, pair);
            CHECK_NEAR(pair[0] + steady[0] - shared[0], (double)locus_pool_calibration(w.pool, m).scale, 1e-3);
            CHECK_NEAR(pair[1] + steady[1] - shared[1], (double)locus_pool_calibration(w.pool, m).shift, 1e-3);
        }
        context("%s", "");
    }
    CHECK((double)locus_pool_calibration(w.pool, 24).shift > (double)locus_pool_calibration(w.pool, 0).shift + 0.5);
    after = floats(w.n * w.M), again = floats(w.n * w.M);
    CHECK_STATUS(LOCUS_OK, predict(w.pool, &q, after, NULL));
    for (size_t i = 0; i < w.n * w.M; i += 7) {
        const locus_calibration c = locus_pool_calibration(w.pool, i % w.M);
        CHECK_NEAR((double)c.scale * (double)w.logits[i] + (double)c.shift, (double)after[i], 1e-5);
    }
    for (size_t kind = 0; kind < THREAD_KINDS; kind++) { // learning and applying: the same bits, and learning twice too
        locus_run run;
        ZERO(run);
        run.parallel = parallel_of(kind);
        CHECK_STATUS(LOCUS_OK, locus_pool_calibrate(w.pool, &e, &run, &g_err));
        CHECK_STATUS(LOCUS_OK, predict(w.pool, &q, again, parallel_of(kind)));
        CHECK_SAME("calibrated logits", after, again, w.n * w.M);
        q.count = 1;
        CHECK_STATUS(LOCUS_OK, predict(w.pool, &q, again, parallel_of(kind)));
        CHECK_SAME("calibrated logits of one query", after, again, w.M);
        q.count = w.n;
    }
    { // better than before on what it was learned from; the two functions agree
        locus_scores s = {w.M, w.n, 0, NULL, w.scores, NULL};
        locus_bin bins[15];
        locus_metrics metrics;
        double before, now;
        CHECK_STATUS(LOCUS_OK, locus_reliability(w.logits, w.n, &s, NULL, SIZE_MAX, bins, 15, &before, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_reliability(after, w.n, &s, NULL, SIZE_MAX, bins, 15, &now, &g_err));
        CHECK(now < before);
        CHECK_STATUS(LOCUS_OK, locus_reliability(w.logits, w.n, &s, NULL, 24, bins, 15, &before, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_reliability(after, w.n, &s, NULL, 24, bins, 15, &now, &g_err));
        CHECK(now < 0.7 * before);
        CHECK_STATUS(LOCUS_OK, locus_reliability(after, w.n, &s, NULL, SIZE_MAX, bins, 15, &now, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_metrics_compute(&metrics, after, w.n, &s, NULL, NULL, &g_err));
        CHECK_NEAR(metrics.ece, now, 1e-12);
        CHECK_STATUS(LOCUS_OK, locus_reliability(after, w.n, &s, NULL, 4, bins, 3, &now, &g_err));
        CHECK(now != now && bins[1].pairs == 0 && bins[1].observed != bins[1].observed);
        CHECK_STATUS(LOCUS_OK, locus_reliability(after, w.n, &s, NULL, 5, bins, 1, NULL, &g_err));
        CHECK(bins[0].pairs > 100 && bins[0].pairs < w.n);
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_reliability(after, w.n, &s, NULL, w.M, bins, 3, &now, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_reliability(after, w.n, &s, NULL, 0, bins, 0, &now, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_reliability(after, w.n + 1, &s, NULL, 0, bins, 3, &now, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_reliability(NULL, w.n, &s, NULL, 0, bins, 3, &now, &g_err));
        after[2] = f_nan();
        CHECK_STATUS(LOCUS_ERR_NONFINITE, locus_reliability(after, w.n, &s, NULL, 2, bins, 3, &now, &g_err));
        CHECK_MESSAGE("logits[0, 2]");
        after[2] = w.logits[2];
    }
    { // a model set, removed, added
        const locus_calibration c = locus_pool_calibration(w.pool, 6), all = locus_pool_calibration(w.pool, SIZE_MAX);
        locus_model model = model_named("one more", 1.0f);
        float *z = normals(w.d, 1.0, 3);
        size_t at;
        CHECK_STATUS(LOCUS_OK, locus_pool_set(w.pool, 6, NULL, locus_pool_embedding(w.pool, 2), &g_err));
        CHECK_NEAR((double)c.scale, (double)locus_pool_calibration(w.pool, 6).scale, 0.0);
        CHECK_STATUS(LOCUS_OK, locus_pool_remove(w.pool, 5, &g_err));
        CHECK_NEAR((double)c.shift, (double)locus_pool_calibration(w.pool, 5).shift, 0.0);
        CHECK_STATUS(LOCUS_OK, locus_pool_add(w.pool, &model, z, &at, &g_err));
        CHECK_NEAR((double)all.shift, (double)locus_pool_calibration(w.pool, at).shift, 0.0);
        free(z);
    }
    locus_pool_calibrate(w.pool, NULL, NULL, NULL);
    CHECK_NEAR(1.0, (double)locus_pool_calibration(w.pool, 5).scale, 0.0);
    free(after), free(again);
    world_free(&w);
}

static void test_calibration_errors(void)
{
    world w;
    if (!world_make(&w, 40)) return;
    locus_evals e = world_evals(&w), bad;
    locus_run run;
    char memory[100];
    ZERO(run);
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_calibrate(NULL, &e, NULL, &g_err));
    bad = e, bad.scores.models--;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_calibrate(w.pool, &bad, NULL, &g_err));
    bad = e, bad.scores.u8 = NULL;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_calibrate(w.pool, &bad, NULL, &g_err));
    bad = e, bad.queries.dim--;
    CHECK_STATUS(LOCUS_ERR_QUERY_DIM, locus_pool_calibrate(w.pool, &bad, NULL, &g_err));
    bad = e, bad.queries.count = 0;
    CHECK_STATUS(LOCUS_ERR_EMPTY_SET, locus_pool_calibrate(w.pool, &bad, NULL, &g_err));
    w.scores[7] = 9;
    CHECK_STATUS(LOCUS_ERR_SCORE, locus_pool_calibrate(w.pool, &e, NULL, &g_err));
    w.scores[7] = 1;
    w.enc[39 * w.q + 1] = f_nan();
    CHECK_STATUS(LOCUS_ERR_NONFINITE, locus_pool_calibrate(w.pool, &e, NULL, &g_err));
    CHECK_MESSAGE("39");
    w.enc[39 * w.q + 1] = 0.0f;
    g_fail_at = 1;
    CHECK_STATUS(LOCUS_ERR_MEMORY, locus_pool_calibrate(w.pool, &e, NULL, &g_err));
    g_fail_at = 0;
    run.memory = memory, run.memory_bytes = sizeof memory;
    CHECK_STATUS(LOCUS_ERR_MEMORY, locus_pool_calibrate(w.pool, &e, &run, &g_err));
    { // what it says is enough, and nothing else is allocated
        const size_t need = g_err.bytes;
        const long blocks = g_blocks;
        CHECK_NEAR(1.0, (double)locus_pool_calibration(w.pool, SIZE_MAX).scale, 0.0);
        run.memory = xmalloc(need), run.memory_bytes = need;
        g_fail_at = 1;
        CHECK_STATUS(LOCUS_OK, locus_pool_calibrate(w.pool, &e, &run, &g_err));
        g_fail_at = 0;
        CHECK_SIZE((size_t)blocks, (size_t)g_blocks);
        free(run.memory);
        CHECK(locus_pool_calibration(w.pool, 3).scale != 1.0f);
    }
    memset(w.scores, 1, w.n * w.M); // always right: large, finite, in bounds
    CHECK_STATUS(LOCUS_OK, locus_pool_calibrate(w.pool, &e, NULL, &g_err));
    CHECK(locus_pool_calibration(w.pool, 0).scale > 0.0f && locus_pool_calibration(w.pool, 0).shift > 1.0f &&
          locus_pool_calibration(w.pool, 0).shift < 100.0f);
    for (size_t m = 0; m < w.M; m++) // contrary to every prediction: dull, not turned round
        for (size_t i = 0; i < w.n; i++) w.scores[m * w.n + i] = w.logits[i * w.M + m] < 0.0f;
    CHECK_STATUS(LOCUS_OK, locus_pool_calibrate(w.pool, &e, NULL, &g_err));
    for (size_t m = 0; m < w.M; m++)
        CHECK(locus_pool_calibration(w.pool, m).scale > 0.0f &&
              fabsf(locus_pool_calibration(w.pool, m).shift) < 100.0f);
    CHECK(locus_pool_calibration(w.pool, SIZE_MAX).scale >= 0.01f); // 0.01, less what may be chance
    CHECK(locus_pool_calibration(w.pool, SIZE_MAX).scale < 0.5f);
    world_free(&w);
}

// Many models that answered the same few queries, harder or easier than predicted by chance, say little about
// predictions; thousands of queries say much.
static void test_calibration_of_few_queries(void)
{
    enum { FEW = 24 }; // times 16 queries, then twice 4000
    double away = 0.0, naive = 0.0, scale_away = 0.0;
    for (size_t k = 0; k < FEW + 2; k++) {
        const size_t n = k < FEW ? 16 : 4000;
        const int off = k == FEW + 1; // the predictions are in fact off
        world w;
        locus_calibration all;
        context("case %zu", k);
        if (!world_make(&w, n)) return;
        for (size_t i = 0; i < n; i++) {
            const double odd = 1.2 * ref_normal(&g_rng); // the query's, for all models
            for (size_t m = 0; m < w.M; m++) {
                const double x = (double)w.logits[i * w.M + m];
                const double t = off ? 0.5 * x + 0.6 + 0.5 * odd : x + odd;
                w.scores[m * n + i] = uniform() < 1.0 / (1.0 + exp(-t));
            }
        }
        locus_evals e = world_evals(&w);
        CHECK_STATUS(LOCUS_OK, locus_pool_calibrate(w.pool, &e, NULL, &g_err));
        all = locus_pool_calibration(w.pool, SIZE_MAX);
        if (n < 100) {
            static const double one[2] = {1.0, 0.0}, weak[2] = {4.0, 4.0};
            double fit[2];
            plain_fit(&w, 0, w.M, one, weak, fit);
            naive += fit[1] * fit[1] / FEW;
            away += (double)(all.shift * all.shift) / FEW;
            scale_away += ((double)all.scale - 1.0) * ((double)all.scale - 1.0) / FEW;
            CHECK(fabs((double)all.shift) <= fabs(fit[1]) + 1e-3);
            CHECK(fabs((double)all.scale - 1.0) <= fabs(fit[0] - 1.0) + 1e-3);
        } else if (off) { // an oddity flattens a little
            CHECK_NEAR(0.5, (double)all.scale, 0.08);
            CHECK_NEAR(0.58, (double)all.shift, 0.06);
        } else CHECK_NEAR(0.0, (double)all.shift, 0.08);
        world_free(&w);
    }
    CHECK(sqrt(naive) > 0.15);             // a fit to all pairs would be fooled
    CHECK(sqrt(away) < 0.7 * sqrt(naive)); // about 0.6 where all is chance
    CHECK(sqrt(scale_away) < 0.3);
}

static void test_calibration_file(void)
{
    static const float hostile[][2] = {{0.0f, 0.0f}, {-1.0f, 0.0f}, {101.0f, 0.0f}, {1.0f, 101.0f}, {1.0f, -101.0f}};
    world w;
    locus_pool *pool;
    locus_safetensors st;
    const char *path = temp_path("calibrated.safetensors");
    if (!world_make(&w, 60)) return;
    locus_evals e = world_evals(&w);
    CHECK_STATUS(LOCUS_OK, locus_pool_save(w.pool, path, LOCUS_SAVE_POOL, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err));
    CHECK(!locus_safetensors_find(&st, "pool.calibration")); // not calibrated: as older files
    locus_safetensors_close(&st);
    CHECK_STATUS(LOCUS_OK, locus_pool_calibrate(w.pool, &e, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_save(w.pool, path, LOCUS_SAVE_POOL, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err));
    for (int own = 0; own < 2; own++) {
        locus_run run;
        ZERO(run);
        float *a = floats(w.n * w.M), *b = floats(w.n * w.M);
        if (own) CHECK_ROOM(&run, LOCUS_OK, locus_pool_load(&pool, w.net, &st, &run, &g_err));
        else CHECK_STATUS(LOCUS_OK, locus_pool_load(&pool, w.net, &st, NULL, &g_err));
        for (size_t m = 0; m <= w.M; m++) {
            const locus_calibration x = locus_pool_calibration(w.pool, m), y = locus_pool_calibration(pool, m);
            CHECK_SAME("calibration", &x.scale, &y.scale, 1);
            CHECK_SAME("calibration", &x.shift, &y.shift, 1);
        }
        CHECK_STATUS(LOCUS_OK, predict(w.pool, &e.queries, a, NULL));
        CHECK_STATUS(LOCUS_OK, predict(pool, &e.queries, b, NULL));
        CHECK_SAME("logits", a, b, w.n * w.M);
        locus_pool_destroy(pool);
        free(a), free(b);
        if (own) room_close(__LINE__, &run);
    }
    raw_file *f = raw_from_st(&st);
    raw_tensor *t = raw_find(f, "pool.calibration");
    for (size_t i = 0; i < COUNT(hostile) + 5; i++) {
        locus_safetensors spoilt;
        size_t bytes, row = i % 2 ? w.M : 3;
        unsigned char *data, keep[8];
        locus_status want = LOCUS_ERR_POOL;
        context("hostile %zu", i);
        memcpy(keep, t->data + 8 * row, 8);
        if (i < COUNT(hostile))
            put_f32(t->data + 8 * row, hostile[i][0]), put_f32(t->data + 8 * row + 4, hostile[i][1]);
        if (i == COUNT(hostile)) put_f32(t->data + 8 * row, f_nan());
        if (i == COUNT(hostile) + 1) put_f32(t->data + 8 * row + 4, f_inf());
        if (i == COUNT(hostile) + 2) t->shape[0]--, t->bytes -= 8, want = LOCUS_ERR_TENSOR;
        if (i == COUNT(hostile) + 3) t->shape[0] *= 2, t->shape[1] = 1, want = LOCUS_ERR_TENSOR;
        if (i == COUNT(hostile) + 4) strcpy(t->dtype, "I32"), want = LOCUS_ERR_UNSUPPORTED;
        data = raw_bytes(f, &bytes);
        if (CHECK_STATUS(LOCUS_OK, locus_safetensors_parse(&spoilt, data, bytes, NULL, &g_err))) {
            CHECK_STATUS(want, locus_pool_load(&pool, w.net, &spoilt, NULL, &g_err));
            CHECK_MESSAGE("pool.calibration");
            locus_safetensors_close(&spoilt);
        }
        free(data);
        memcpy(t->data + 8 * row, keep, 8);
        t->shape[0] = w.M + 1, t->shape[1] = 2, t->bytes = 8 * (w.M + 1);
    }
    context("%s", "");
    raw_free(f);
    locus_safetensors_close(&st);
    remove(path);
    world_free(&w);
}

// ---------------------------------------------------------------------------------------------------- duplicates

static double same_answers(const float *p, const float *q, const unsigned char *x, const unsigned char *y, size_t n,
                           double c, size_t *k)
{
    locus_likeness found = {0, 0, -1.0};
    locus_scores s = {2, n, (size_t)(y - x), NULL, x, NULL};
    CHECK_STATUS(LOCUS_OK, locus_same_answers(&found, p, q, &s, 0, 1, c, NULL, &g_err));
    *k = found.disagreements;
    return found.p;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void test_same_answers(void)
{
    enum { N = 9, LONG = 12000 };
    float *p = floats(LONG), *q = floats(LONG);
    unsigned char *x = (unsigned char *)xmalloc(2 * LONG), *y = x + LONG;
    size_t k;
    for (int round = 0; round < 40; round++) { // by enumeration of all outcomes
        const double c = -1.0 + 0.05 * round;
        double d[N], sum = 0.0;
        for (size_t i = 0; i < N; i++) {
            p[i] = (float)uniform(), q[i] = (float)uniform();
            x[i] = uniform() < 0.5, y[i] = uniform() < 0.5;
            if (uniform() < 0.1) y[i] = 255;
            const double a = (double)p[i], b = (double)q[i], both = a * b + c * sqrt(a * (1 - a) * b * (1 - b));
            const double low = a + b > 1 ? a + b - 1 : 0, high = a < b ? a : b; // of both right
            d[i] = y[i] == 255 ? 0.0 : a + b - 2 * (both < low ? low : both > high ? high : both);
        }
        const double got = same_answers(p, q, x, y, N, c, &k);
        for (unsigned set = 0; set < 1u << N; set++) {
            double chance = 1.0;
            size_t ones = 0;
            for (size_t i = 0; i < N; i++) chance *= set >> i & 1 ? d[i] : 1 - d[i], ones += set >> i & 1;
            if (ones <= k) sum += chance;
        }
        CHECK_NEAR(sum, got, 1e-12);
    }
    for (size_t i = 0; i < LONG; i++) { // all coins alike: binomial; values of scipy.stats.binom.cdf
        p[i] = q[i] = 0.5f;
        x[i] = 1, y[i] = i % 100 >= 40;
    }
    CHECK_NEAR(1.0, same_answers(p, q, x, y, 1000, 0.0, &k) / 1.364232078032988e-10, 1e-9); // binom.cdf(400, 1000, .5)
    CHECK_SIZE(400, k);
    CHECK_NEAR(-104.04693442390182, log(same_answers(p, q, x, y, 5000, 0.0, &k)), 1e-8);
    for (size_t i = 0; i < LONG; i++) y[i] = i % 2;
    CHECK_NEAR(0.5036417522313457, same_answers(p, q, x, y, LONG, 0.0, &k),
               1e-9); // half and a bit: no underflow on the way
    for (size_t i = 0; i < 900; i++) y[i] = 1;
    CHECK(same_answers(p, q, x, y, 900, 0.0, &k) > 0.0 && same_answers(p, q, x, y, 900, 0.0, &k) < 1e-270);
    CHECK_NEAR(1.0, same_answers(p, q, x, y, 900, 1.0, &k), 0.0); // wholly alike by hypothesis: nothing to see
    memset(y, 255, LONG);
    CHECK_NEAR(1.0, same_answers(p, q, x, y, 900, 0.0, &k), 0.0);
    CHECK_NEAR(1.0, same_answers(p, q, x, y, 0, 0.0, &k), 0.0);
    { // different models accused: at most as often as p says
        const double c = 0.3;
        size_t low[2] = {0, 0}, total = 4000;
        for (size_t r = 0; r < total; r++) {
            for (size_t i = 0; i < 60; i++) {
                const double a = 0.1 + 0.8 * uniform(), b = 0.1 + 0.8 * uniform(), s = sqrt(a * (1 - a) * b * (1 - b));
                double both = a * b + c * s, u = uniform();
                both = both < a ? both : a, both = both < b ? both : b;
                p[i] = (float)a, q[i] = (float)b;
                x[i] = u < a, y[i] = u < both || (u >= a && u < a + b - both);
            }
            const double value = same_answers(p, q, x, y, 60, c, &k);
            low[0] += value <= 0.05, low[1] += value <= 0.5;
        }
        CHECK((double)low[0] < 0.06 * (double)total && (double)low[0] > 0.02 * (double)total);
        CHECK((double)low[1] < 0.53 * (double)total && (double)low[1] > 0.35 * (double)total);
        for (size_t i = 0; i < 100; i++) // and one model asked twice, 5 % of its answers otherwise: seen
            p[i] = q[i] = 0.6f, x[i] = uniform() < 0.6, y[i] = uniform() < 0.05 ? !x[i] : x[i];
        CHECK(same_answers(p, q, x, y, 100, c, &k) < 1e-6);
    }
    { // errors
        locus_likeness value;
        locus_scores s = {2, 8, LONG, NULL, x, NULL};
        memset(y, 1, 8);
        memset(x, 1, 8);
#define TRY(want, pp, bb, cc) CHECK_STATUS(want, locus_same_answers(&value, pp, q, &s, 0, bb, cc, NULL, &g_err))
        TRY(LOCUS_OK, p, 1, 0.5);
        TRY(LOCUS_ERR_ARGUMENT, NULL, 1, 0.5);
        TRY(LOCUS_ERR_ARGUMENT, p, 2, 0.5);
        TRY(LOCUS_ERR_ARGUMENT, p, 1, 1.5);
        TRY(LOCUS_ERR_ARGUMENT, p, 1, NAN);
        CHECK_MEMORY(locus_same_answers(&value, p, q, &s, 0, 1, 0.5, &g_run, &g_err));
        x[LONG + 3] = 2;
        TRY(LOCUS_ERR_SCORE, p, 1, 0.5);
        x[LONG + 3] = 1, p[2] = f_nan();
        TRY(LOCUS_ERR_ARGUMENT, p, 1, 0.5);
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_same_answers(NULL, p, q, &s, 0, 1, 0.5, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_same_answers(&value, p, q, NULL, 0, 1, 0.5, NULL, &g_err));
    }
    free(p), free(q), free(x);
}

static void test_correlation(void)
{
    enum { M = 7, N = 400 };
    float *p = floats(M * N);
    unsigned char x[M * N];
    double list[M * M], mean = 0.0, got, average;
    size_t count = 0;
    locus_points profiles = {p, M, N, 0};
    locus_scores s = {M, N, 0, NULL, x, NULL};
    for (size_t i = 0; i < N; i++) {
        const double common = ref_normal(&g_rng);
        for (size_t m = 0; m < M; m++) {
            p[m * N + i] = 0.3f + 0.05f * (float)m;
            x[m * N + i] = uniform() < 0.1 ? 255 : common + (0.2 + 0.2 * (double)m) * ref_normal(&g_rng) < -0.3;
        }
    }
    for (size_t a = 0; a < M; a++)
        for (size_t b = 0; b < a; b++) {
            double up = 0.0, down = 0.0;
            for (size_t i = 0; i < N; i++) {
                const double u = (double)p[a * N + i], v = (double)p[b * N + i];
                if (x[a * N + i] == 255 || x[b * N + i] == 255) continue;
                up += (x[a * N + i] - u) * (x[b * N + i] - v), down += sqrt(u * (1 - u) * v * (1 - v));
            }
            list[count] = up / down, mean += list[count++];
        }
    qsort(list, count, sizeof *list, by_value);
#define FIND(quantile) CHECK_MEMORY(locus_answer_correlation(&profiles, &s, quantile, &average, &got, &g_run, &g_err))
    FIND(0.0);
    CHECK_NEAR(mean / (double)count, average, 1e-12);
    CHECK_NEAR(list[0], got, 1e-12);
    FIND(1.0);
    CHECK_NEAR(list[count - 1], got, 1e-12);
    FIND(0.5);
    CHECK_NEAR(list[count / 2], got, 1e-12); // 21 pairs: the middle one
    FIND(0.875);
    CHECK_NEAR(0.5 * (list[17] + list[18]), got, 1e-12);
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_answer_correlation(&profiles, &s, 1.1, NULL, &got, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_answer_correlation(&profiles, NULL, 0.5, NULL, &got, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_answer_correlation(&profiles, &s, 0.5, NULL, NULL, NULL, &g_err));
    profiles.count = 1;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_answer_correlation(&profiles, &s, 0.5, NULL, &got, NULL, &g_err));
    s.models = 1;
    FIND(0.5);
    CHECK_NEAR(0.0, got, 0.0);
    free(p);
}

// ---------------------------------------------------------------------------------------------------- watch

static void test_watch(void)
{
    enum { STREAMS = 400, ANSWERS = 600 };
    size_t alarms = 0, canary_alarms = 0, noticed = 0, late = 0;
    for (int s = 0; s < STREAMS; s++) { // the hypothesis at its edge: off by the tolerance
        locus_watch w, c;
        int up = s % 2, rang = 0, canary_rang = 0;
        ZERO(w), ZERO(c);
        for (int i = 0; i < ANSWERS; i++) {
            double p = 0.05 + 0.9 * uniform(), e = locus_watch_add(&w, p, uniform() < p + (up ? 0.02 : -0.02));
            rang |= e >= 20.0;
            e = locus_watch_add(&c, 0.95, uniform() < 0.93);
            canary_rang |= e >= 20.0;
        }
        alarms += (size_t)rang, canary_alarms += (size_t)canary_rang;
    }
    CHECK(alarms <= STREAMS * 8 / 100);
    CHECK(canary_alarms <= STREAMS * 8 / 100);
    for (int s = 0; s < 100; s++) { // swapped at once; swapped after a long good time
        locus_watch w;
        ZERO(w);
        for (int i = 0; i < 60; i++)
            if (locus_watch_add(&w, 0.95, uniform() < 0.7) >= 20.0) {
                noticed++;
                break;
            }
        ZERO(w);
        for (int i = 0; i < 2000; i++) locus_watch_add(&w, 0.95, uniform() < 0.95);
        for (int i = 0; i < 150; i++)
            if (locus_watch_add(&w, 0.95, uniform() < 0.7) >= 20.0) {
                late++;
                break;
            }
    }
    CHECK(noticed >= 85);
    CHECK(late >= 85);
    { // for every expectation and tolerance the next value has a mean of at most the present one; every bet stays alive
        static const double tolerances[] = {0.0, 1e-6, 0.3, 0.999, -1.0, 7.0};
        for (size_t t = 0; t < COUNT(tolerances); t++) {
            locus_watch w;
            const double tolerance = t == 0 || t > 3 ? 0.02 : tolerances[t];
            double now = 1.0;
            ZERO(w);
            w.tolerance = tolerances[t];
            for (int i = 0; i < 200; i++) {
                const double p = i % 10 == 0 ? (i % 20 == 0) : uniform(), shift = i % 3 - 1;
                double mean = p + shift * tolerance;
                locus_watch right = w, wrong = w;
                mean = mean < 0.0 ? 0.0 : mean > 1.0 ? 1.0 : mean;
                const double e = mean * locus_watch_add(&right, p, 1.0) + (1 - mean) * locus_watch_add(&wrong, p, 0.0);
                CHECK(e <= now * (1.0 + 1e-9));
                now = locus_watch_add(&w, p, i % 7 / 6.0);
                CHECK(now > 0.0 && now < 1e300);
            }
        }
    }
    { // nonsense is passed over; certainty that fails is large but finite
        locus_watch w, before;
        double e = 0.0;
        ZERO(w);
        CHECK_NEAR(1.0, locus_watch_add(&w, NAN, 1.0), 0.0);
        CHECK_NEAR(1.0, locus_watch_add(NULL, 0.5, 1.0), 0.0);
        e = locus_watch_add(&w, 0.5, 1.0);
        before = w;
        CHECK_NEAR(e, locus_watch_add(&w, 0.5, NAN), 0.0);
        CHECK_NEAR(e, locus_watch_add(&w, 1.5, 1.0), 0.0);
        CHECK_NEAR(e, locus_watch_add(&w, 0.5, -HUGE_VAL), 0.0);
        CHECK(memcmp(&before, &w, sizeof w) == 0);
        for (int i = 0; i < 5000; i++) e = locus_watch_add(&w, 1.0, 0.0);
        CHECK(e > 1e300 && e <= DBL_MAX);
        CHECK_SIZE(5001, w.answers);
    }
}

static const test_case tests[] = {
    TEST(test_calibration),
    TEST(test_calibration_of_few_queries),
    TEST(test_calibration_errors),
    TEST(test_calibration_file),
    TEST(test_same_answers),
    TEST(test_correlation),
    TEST(test_watch),
};

MAIN(tests)
