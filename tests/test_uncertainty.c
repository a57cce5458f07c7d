// SPDX-License-Identifier: MIT
// Tests of resampled versions of a model, of explanations, of the running log and of copies of pools: against what the
// same evaluations give when they are spelled out and encoded, remembered and predicted one set at a time, against a
// dense solution in double, and against the promises of locus.h.
//
//     cc -O2 tests/test_uncertainty.c -o build/test_uncertainty -lm -lpthread && build/test_uncertainty [part of a
//     name]
//
// LOCUS_TEST_QUICK=1: fewer cases. LOCUS_TEST_SEED: another seed for the random cases.

#include <stddef.h>
#include <stdlib.h>

// Every allocation of the library is counted, and can be made to fail at the N-th.
void *test_malloc(size_t bytes);
void test_free(void *p);
#define LOCUS_MALLOC(bytes) test_malloc(bytes)
#define LOCUS_FREE(pointer) test_free(pointer)
#define LOCUSI_SCREEN_FROM 5 // so that copies of small pools are screened, too
#define LOCUS_IMPLEMENTATION
#include "../locus.h"

#define TEST_FILE "test_uncertainty.c"
#include "harness.h"

// ---------------------------------------------------------------------------------------------------- fixtures

typedef struct fixture { // a pool of M models with a memory, and evaluations of one more
    ref_net ref;
    raw_file *raw;
    locus_net *net;
    locus_pool *pool;
    size_t D, M, n;
    float *enc, *scores; // [n, D], [n]
    locus_evals evals;
} fixture;

static locus_status encode(const locus_net *net, const locus_evals *evals, float *z)
{
    return locus_encode(net, evals, z, LOCUS_ENCODE_AUTO, NULL, &g_err);
}

enum { PLAIN, GAPS, FRACTIONS };

static locus_evals evals_of(const float *enc, size_t n, size_t dim, const float *scores)
{
    locus_evals e;
    ZERO(e);
    e.queries = queries_of(enc, n, dim);
    e.scores.models = 1;
    e.scores.f32 = scores;
    return e;
}

static int fixture_make(fixture *f, size_t n, int kind, int sab, int memory, locus_isa isa, uint64_t seed)
{
    const size_t M = 5, anchors = 70;
    locus_run opts;
    locus_evals pool_evals;
    ref_rng g;
    float *enc, *scores, *z;
    size_t i;
    ZERO(*f);
    ZERO(opts);
    g.state = seed + 11 * g_seed;
    opts.isa = isa;
    f->D = 12, f->M = M, f->n = n;
    ref_init(&f->ref, f->D, 16, 2, 2, 5, 12, sab, 2, seed);
    f->raw = raw_from_net(&f->ref);
    if (!CHECK_STATUS(LOCUS_OK, raw_create(f->raw, &opts, &f->net))) return 0;
    enc = normals(anchors * f->D, 0.4, seed + 1);
    scores = floats(M * anchors);
    z = floats(M * 16);
    for (i = 0; i < M * anchors; i++) scores[i] = ref_uniform(&g) < 0.3 + 0.1 * (double)(i / anchors) ? 1.0f : 0.0f;
    pool_evals = evals_of(enc, anchors, f->D, scores);
    pool_evals.scores.models = M;
    CHECK_STATUS(LOCUS_OK, encode(f->net, &pool_evals, z));
    f->pool = pool_of(f->net, z, M);
    if (memory) CHECK_STATUS(LOCUS_OK, learn_recall(f->pool, &pool_evals, NULL, &g_err));
    if (seed % 2) CHECK_STATUS(LOCUS_OK, locus_pool_calibrate(f->pool, &pool_evals, NULL, &g_err));
    f->enc = normals(n * f->D, 0.4, seed + 2);
    f->scores = floats(n);
    for (i = 0; i < n; i++) {
        if (i % 5 == 2 && i < anchors) memcpy(f->enc + i * f->D, enc + i * f->D, f->D * sizeof(float)); // known ones
        f->scores[i] = ref_uniform(&g) < 0.6 ? 1.0f : 0.0f;
        if (kind == FRACTIONS && i % 3 == 0) f->scores[i] = (float)ref_uniform(&g);
        if (kind == GAPS && i % 4 == 1) f->scores[i] = f_nan();
    }
    f->evals = evals_of(f->enc, n, f->D, f->scores);
    free(enc), free(scores), free(z);
    return f->pool != NULL;
}

static void fixture_free(fixture *f)
{
    locus_pool_destroy(f->pool);
    locus_net_destroy(f->net);
    raw_free(f->raw);
    ref_free(&f->ref);
    free(f->enc), free(f->scores);
}

// Embedding and all predictions of two pools are the same in every bit.
static void check_pools(const locus_pool *a, const locus_pool *b, size_t D)
{
    float *q = normals(9 * D, 0.5, 77), *x, *y;
    locus_queries queries = queries_of(q, 9, D);
    const size_t M = locus_pool_count(a);
    size_t m;
    if (!CHECK_SIZE(M, locus_pool_count(b))) return;
    x = floats(9 * M + 1), y = floats(9 * M + 1);
    CHECK_STATUS(LOCUS_OK, predict(a, &queries, x, NULL));
    CHECK_STATUS(LOCUS_OK, predict(b, &queries, y, NULL));
    CHECK_SAME("logits", x, y, 9 * M);
    if (M) {
        locus_choice left[9], right[9];
        memset(left, 0, sizeof left), memset(right, 0, sizeof right);
        CHECK_STATUS(LOCUS_OK, locus_route(a, &queries, NULL, left, NULL, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_route(b, &queries, NULL, right, NULL, NULL, &g_err));
        for (m = 0; m < 9; m++) CHECK_SIZE(left[m].model, right[m].model);
    }
    for (m = 0; m < M; m++) {
        CHECK_SAME("embedding", locus_pool_embedding(a, m), locus_pool_embedding(b, m), 16);
        CHECK(!memcmp(locus_pool_model(a, m), locus_pool_model(b, m), sizeof(locus_model)));
        CHECK(!memcmp(&a->calibration[m], &b->calibration[m], sizeof(locus_calibration)));
    }
    free(q), free(x), free(y);
}

// The rows of `evals` that have a score.
static size_t present(const locus_evals *evals, size_t *row)
{
    size_t i, n = 0;
    for (i = 0; i < evals->queries.count; i++)
        if (evals->scores.f32[i] >= 0.0f) row[n++] = i; // NaN compares false
    return n;
}

// A row that no model has a score on is as if it were not there, whatever stands in it.
static void unscored_rows_are_not_looked_at(void)
{
    enum { N = 90, D = 12, MODELS = 5 };
    int way, one;
    for (way = 0; way < 3; way++) { // NaN scores, 255, a mask
        fixture f;
        float *wide = floats(N * D), *tight = floats(N * D), *y = floats(MODELS * N), *kept = floats(MODELS * N);
        unsigned char *u8 = (unsigned char *)xmalloc(MODELS * N), *mask = (unsigned char *)xmalloc(MODELS * N);
        locus_evals evals, same;
        locus_pool *a = NULL, *b = NULL, *made[2];
        size_t i, m, n = 0, rows[N];
        context("way %d", way);
        if (!fixture_make(&f, 40, PLAIN, 0, 0, LOCUS_ISA_AUTO, 22)) return;
        {
            float *q = normals(N * D, 0.4, 23);
            for (i = 0; i < N; i++)
                if (i % 3 != 1 && i > 1 && i + 1 < N) rows[n++] = i;
            for (i = 0; i < N * D; i++) // absurd ones, too
                wide[i] = i % 7 == 0 ? f_nan() : i % 7 == 1 ? f_inf() : i % 7 == 2 ? 3e38f : -1e7f;
            for (i = 0; i < n; i++) memcpy(wide + rows[i] * D, q + i * D, D * sizeof *q);
            memcpy(tight, q, n * D * sizeof *q);
            free(q);
        }
        for (i = 0; i < MODELS * N; i++) y[i] = way == 2 ? 1.0f : f_nan(), u8[i] = 255, mask[i] = 0;
        for (m = 0; m < MODELS; m++)
            for (i = 0; i < n; i++) {
                const int has = (i + m) % 5 != 0; // every row has a model
                const float score = (float)((i * (m + 2) + m) % 3 == 0);
                y[m * N + rows[i]] = has ? score : f_nan();
                u8[m * N + rows[i]] = has ? (unsigned char)(score > 0.5f) : 255;
                mask[m * N + rows[i]] = 1;
                kept[m * n + i] = y[m * N + rows[i]];
            }
        evals = evals_of(wide, N, D, way == 1 ? NULL : y);
        evals.scores.u8 = way == 1 ? u8 : NULL;
        evals.scores.mask = way == 2 ? mask : NULL;
        same = evals_of(tight, n, D, kept);
        evals.scores.models = same.scores.models = MODELS;
        CHECK_STATUS(LOCUS_OK, locus_pool_copy(&a, f.pool, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_pool_copy(&b, f.pool, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, learn_recall(a, &evals, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, learn_recall(b, &same, NULL, &g_err));
        CHECK_SIZE(n, locus_pool_get_info(a).recall.queries);
        check_pools(a, b, D);
        CHECK_STATUS(LOCUS_OK, locus_pool_calibrate(a, &evals, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_pool_calibrate(b, &same, NULL, &g_err));
        check_pools(a, b, D);
        for (one = 0; one < 2; one++) { // of one model: with rows that only others have scored, too
            locus_explanation why, other;
            locus_reason reasons[4][8];
            locus_evals *e = one ? &same : &evals;
            e->scores.models = 1;
            CHECK_STATUS(LOCUS_OK, locus_pool_recall_model(one ? b : a, 3, e, NULL, &g_err));
            CHECK_STATUS(LOCUS_OK, locus_pool_resample(&made[one], b, e, NULL, NULL, &g_err));
            if (!one) continue;
            check_pools(a, b, D);
            check_pools(made[0], made[1], D);
            evals.queries.encodings = wide;
            {
                const locus_queries query = queries_of(f.enc, 1, D);
                CHECK_STATUS(LOCUS_OK,
                             locus_explain(b, 2, &evals, &query, NULL, &why, reasons[0], reasons[1], NULL, &g_err));
                CHECK_STATUS(LOCUS_OK,
                             locus_explain(b, 2, &same, &query, NULL, &other, reasons[2], reasons[3], NULL, &g_err));
                CHECK_SIZE(other.influences, why.influences);
                for (i = 0; i < why.influences; i++) {
                    CHECK_SIZE(rows[reasons[2][i].evaluation], reasons[0][i].evaluation);
                    CHECK_NEAR(reasons[2][i].influence, reasons[0][i].influence, 0.0);
                }
            }
        }
        locus_pool_destroy(made[0]), locus_pool_destroy(made[1]);
        wide[rows[6] * D + 3] = f_nan(); // a scored one is looked at, and named by its own row
        CHECK_STATUS(LOCUS_ERR_NONFINITE, locus_pool_recall_model(a, 3, &evals, NULL, &g_err));
        CHECK_MESSAGE("encodings[11, 3]");
        evals.scores.models = MODELS;
        CHECK_STATUS(LOCUS_ERR_NONFINITE, learn_recall(a, &evals, NULL, &g_err));
        CHECK_MESSAGE("encodings[11, 3]");
        CHECK_STATUS(LOCUS_ERR_NONFINITE, locus_pool_calibrate(a, &evals, NULL, &g_err));
        CHECK_MESSAGE("encodings[11, 3]");
        locus_pool_destroy(a), locus_pool_destroy(b);
        free(wide), free(tight), free(y), free(kept), free(u8), free(mask);
        fixture_free(&f);
    }
}

// ---------------------------------------------------------------------------------------------------- versions

static void versions_embed_the_drawn_evaluations(void)
{
    static const size_t sizes[] = {1, 2, 40, 150};
    size_t k, r, i;
    int kind, sab;
    for (sab = 0; sab < 2; sab++)
        for (kind = PLAIN; kind <= FRACTIONS; kind++)
            for (k = 0; k < COUNT(sizes); k++) {
                fixture f;
                locus_resample_opts o;
                locus_pool *made;
                size_t *row = (size_t *)xmalloc(sizes[k] * sizeof *row), n;
                float *enc, *scores, z[16];
                context("sab %d, kind %d, %zu", sab, kind, sizes[k]);
                if (!fixture_make(&f, sizes[k], kind, sab, k != 2, LOCUS_ISA_AUTO, 3 + k)) return;
                n = present(&f.evals, row);
                ZERO(o);
                o.count = 6;
                o.seed = 5;
                enc = floats(n * f.D), scores = floats(n);
                CHECK_STATUS(LOCUS_OK, locus_pool_resample(&made, f.pool, &f.evals, &o, NULL, &g_err));
                CHECK_SIZE(6, locus_pool_count(made));
                for (r = 0; r < 6; r++) {
                    char name[16];
                    locus_evals e;
                    snprintf(name, sizeof name, "#%zu", r + 1);
                    CHECK_TEXT(name, locus_pool_model(made, r)->name);
                    CHECK_SIZE(n, (size_t)locus_pool_model(made, r)->evaluations);
                    for (i = 0; i < n; i++) {
                        const size_t at = row[locusi_draw_bits(5, LOCUSI_DRAW_EVALUATION, r, i) % n];
                        memcpy(enc + i * f.D, f.enc + at * f.D, f.D * sizeof(float));
                        scores[i] = f.scores[at];
                    }
                    e = evals_of(enc, n, f.D, scores);
                    CHECK_STATUS(LOCUS_OK, encode(f.net, &e, z));
                    CHECK_SAME("version", z, locus_pool_embedding(made, r), 16);
                }
                CHECK_SIZE(k != 2 ? 6 : 0, locus_pool_get_info(made).recall.models);
                for (r = 0; r < 6; r++) {
                    const locus_calibration own = locus_pool_calibration(made, r);
                    const locus_calibration shared = locus_pool_calibration(f.pool, SIZE_MAX);
                    CHECK(!memcmp(&own, &shared, sizeof own));
                }
                locus_pool_destroy(made);
                fixture_free(&f);
                free(row), free(enc), free(scores);
            }
}

// x <- a^-1 x by Gaussian elimination with pivots; a [n, n] is spoilt.
static void dense_solve(double *a, size_t n, double *x)
{
    size_t i, j, k;
    for (k = 0; k < n; k++) {
        size_t pivot = k;
        for (i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
        for (j = 0; j < n; j++) {
            const double t = a[k * n + j];
            a[k * n + j] = a[pivot * n + j];
            a[pivot * n + j] = t;
        }
        {
            const double t = x[k];
            x[k] = x[pivot];
            x[pivot] = t;
        }
        for (i = k + 1; i < n; i++) {
            const double factor = a[i * n + k] / a[k * n + k];
            for (j = k; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
            x[i] -= factor * x[k];
        }
    }
    for (i = n; i-- > 0;) {
        for (j = i + 1; j < n; j++) x[i] -= a[i * n + j] * x[j];
        x[i] /= a[i * n + i];
    }
}

// The memory's rows are what the weighted and perturbed regressions of >>uncertainty say, solved one by one.
static void versions_remember_the_drawn_evaluations(void)
{
    static const size_t sizes[] = {1, 30, 200};
    size_t k, r, i, j, c;
    for (k = 0; k < COUNT(sizes); k++) {
        const size_t versions = 20, n = sizes[k];
        fixture f;
        locus_resample_opts o;
        locus_pool *made;
        locusi_own own;
        locusi_work w;
        locusi_job job;
        double *a, *x, *theta, largest = 0.0;
        size_t *row = (size_t *)xmalloc(n * sizeof *row), p;
        context("%zu", n);
        if (!fixture_make(&f, n, PLAIN, 0, 1, LOCUS_ISA_AUTO, 40 + k)) return;
        ZERO(o);
        o.count = versions;
        o.seed = 9;
        CHECK_STATUS(LOCUS_OK, locus_pool_resample(&made, f.pool, &f.evals, &o, NULL, &g_err));
        locusi_work_begin(&w, NULL);
        locusi_own_take(&own, &f.pool->memory, n, &w);
        CHECK_STATUS(LOCUS_OK, locusi_work_short(&w, &g_err));
        CHECK_STATUS(LOCUS_OK, locusi_own_fit(&own, f.net->kernels, &f.evals, &g_err));
        p = own.m.landmarks;
        a = ref_alloc(p * p), x = ref_alloc(p), theta = ref_alloc(p);
        ZERO(job);
        job.n = n;
        job.draws = (uint32_t *)xmalloc(versions * n * sizeof(uint32_t));
        job.drawn = (size_t *)xmalloc(versions * sizeof(size_t));
        for (i = 0; i < n; i++) row[i] = i;
        locusi_resample_draw(&job, row, n, versions, 9);
        for (r = 0; r < versions; r++) {
            const double weight = own.m.own / own.m.noise;
            double scores = 0.0, difficulties = 0.0, mu, sd, prior;
            for (i = 0; i < p * p; i++) a[i] = i % (p + 1) ? 0.0 : 1.0;
            for (i = 0; i < job.drawn[r]; i++) {
                scores += own.score[job.draws[r * n + i]];
                difficulties += own.t[job.draws[r * n + i]];
            }
            prior = own.m.mean + own.sd / sqrt(fmax(own.m.pull, 1.0)) * locusi_draw_normal(9, LOCUSI_DRAW_MEAN, r, 0);
            prior = prior < 0.01 ? 0.01 : prior > 0.99 ? 0.99 : prior;
            mu = prior;
            for (i = 0; i < 4; i++) {
                sd = sqrt(fmax(mu * (1.0 - mu), 0.05));
                mu = (own.m.pull * prior + scores - sd * difficulties) / ((double)job.drawn[r] + own.m.pull);
                mu = mu < 0.01 ? 0.01 : mu > 0.99 ? 0.99 : mu;
            }
            sd = sqrt(fmax(mu * (1.0 - mu), 0.05));
            for (c = 0; c < p; c++) x[c] = sqrt(own.m.own) * locusi_draw_normal(9, LOCUSI_DRAW_PRIOR, r, c);
            for (i = 0; i < job.drawn[r]; i++) {
                const size_t at = job.draws[r * n + i];
                const float *phi = own.phi + at * p;
                for (c = 0; c < p; c++) {
                    x[c] += weight * (double)phi[c] * ((own.score[at] - mu) / sd - own.t[at]);
                    for (j = 0; j < p; j++) a[c * p + j] += weight * (double)phi[c] * (double)phi[j];
                }
            }
            dense_solve(a, p, x);
            for (c = 0; c < p; c++) theta[c] = x[c];
            for (i = 0; i < p; i++) { // packed: feature c of kernel i
                x[i] = 0.0;
                for (c = 0; c < p; c++) x[i] += (double)own.m.features[c / 16 * 16 * p + 16 * i + c % 16] * theta[c];
            }
            { // as what it predicts at the evaluated queries
                double worst_gap = 0.0;
                for (i = 0; i < n; i++) {
                    double gap = 0.0, value = 0.0;
                    for (c = 0; c < p; c++) {
                        const double k0 = (double)own.kernels[i * p + c];
                        value += k0 * ((double)own.m.shared[c] + x[c]) * sd;
                        gap += k0 * (double)*locusi_recall_at(made, r, c);
                    }
                    if (fabs(gap - value) > worst_gap) worst_gap = fabs(gap - value);
                    if (fabs(value) > largest) largest = fabs(value);
                }
                CHECK_NEAR(0.0, worst_gap, 0.0005);
            }
            CHECK_NEAR(mu, (double)made->recall_base[r], 1e-6);
        }
        CHECK(largest > 0.05);
        free(a), free(x), free(theta), locusi_work_end(&w), free(row), free(job.draws), free(job.drawn);
        locus_pool_destroy(made);
        fixture_free(&f);
    }
}

static void versions_depend_on_seed_and_place_alone(void)
{
    fixture f, g;
    locus_resample_opts o;
    locus_run run;
    locus_pool *a, *b;
    float *enc, *scores;
    size_t i, kind;
    locus_evals e;
    if (!fixture_make(&f, 900, GAPS, 0, 1, LOCUS_ISA_AUTO, 8)) return;
    ZERO(o);
    ZERO(run);
    o.count = 20;
    o.seed = 3;
    CHECK_MEMORY(locus_pool_resample(&a, f.pool, &f.evals, &o, &g_run, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_resample(&a, f.pool, &f.evals, &o, NULL, &g_err));
    for (kind = 1; kind < THREAD_KINDS; kind++) { // 20 versions by model, and 3 by rows
        context("threads %zu", kind);
        run.parallel = parallel_of(kind);
        CHECK_STATUS(LOCUS_OK, locus_pool_resample(&b, f.pool, &f.evals, &o, &run, &g_err));
        check_pools(a, b, f.D);
        locus_pool_destroy(b);
    }
    for (kind = 0; kind < THREAD_KINDS; kind++) {
        context("three versions, threads %zu", kind);
        o.count = 3;
        run.parallel = parallel_of(kind);
        CHECK_STATUS(LOCUS_OK, locus_pool_resample(&b, f.pool, &f.evals, &o, &run, &g_err));
        for (i = 0; i < 3; i++)
            CHECK_SAME("version of fewer", locus_pool_embedding(a, i), locus_pool_embedding(b, i), 16);
        for (i = 0; i < 3 * a->memory.landmarks; i++)
            CHECK_SAME("row", locusi_recall_at(a, i % 3, i / 3), locusi_recall_at(b, i % 3, i / 3), 1);
        locus_pool_destroy(b);
    }
    o.count = 20;
    context("missing ones left out");
    enc = floats(900 * f.D), scores = floats(900);
    for (i = 0, e = evals_of(enc, 0, f.D, scores); i < 900; i++) {
        if (!(f.scores[i] >= 0.0f)) {
            f.enc[i * f.D] = f_nan(); // never looked at by the encoder; the memory wants numbers
            f.enc[i * f.D] = 0.0f;
            continue;
        }
        memcpy(enc + e.queries.count * f.D, f.enc + i * f.D, f.D * sizeof(float));
        scores[e.queries.count++] = f.scores[i];
    }
    CHECK_STATUS(LOCUS_OK, locus_pool_resample(&b, f.pool, &e, &o, NULL, &g_err));
    check_pools(a, b, f.D);
    locus_pool_destroy(b);
    context("another seed");
    o.seed = 4;
    CHECK_STATUS(LOCUS_OK, locus_pool_resample(&b, f.pool, &f.evals, &o, NULL, &g_err));
    CHECK(memcmp(locus_pool_embedding(a, 0), locus_pool_embedding(b, 0), 16 * sizeof(float)) != 0);
    CHECK(memcmp(a->recall, b->recall, 16 * sizeof(float)) != 0);
    locus_pool_destroy(b);
    o.seed = 3;
    for (i = 1; i < LOCUS_ISA_COUNT; i++) {
        context("isa %zu", i);
        if (!locus_isa_supported((locus_isa)i) || !fixture_make(&g, 900, GAPS, 0, 1, (locus_isa)i, 8)) continue;
        CHECK_STATUS(LOCUS_OK, locus_pool_resample(&b, g.pool, &g.evals, &o, NULL, &g_err));
        {
            float *q = normals(9 * f.D, 0.5, 77), x[180], y[180];
            double wide[180];
            const locus_queries queries = queries_of(q, 9, f.D);
            size_t j;
            CHECK_STATUS(LOCUS_OK, predict(a, &queries, x, NULL));
            CHECK_STATUS(LOCUS_OK, predict(b, &queries, y, NULL));
            for (j = 0; j < 180; j++) wide[j] = (double)x[j];
            CHECK_CLOSE("logits", wide, y, 180, 2e-3);
            free(q);
        }
        locus_pool_destroy(b);
        fixture_free(&g);
    }
    locus_pool_destroy(a);
    fixture_free(&f);
    free(enc), free(scores);
}

// Twice as many evaluations of each kind: versions stray less.
static void versions_stray_less_with_more_evaluations(void)
{
    double spread[2];
    size_t k, r, c;
    for (k = 0; k < 2; k++) {
        fixture f;
        locus_pool *made;
        float z[16];
        if (!fixture_make(&f, k ? 1600 : 100, PLAIN, 0, 1, LOCUS_ISA_AUTO, 21)) return;
        CHECK_STATUS(LOCUS_OK, encode(f.net, &f.evals, z));
        CHECK_STATUS(LOCUS_OK, locus_pool_resample(&made, f.pool, &f.evals, NULL, NULL, &g_err));
        CHECK_SIZE(32, locus_pool_count(made));
        for (spread[k] = 0.0, r = 0; r < 32; r++)
            for (c = 0; c < 16; c++) spread[k] += pow((double)(locus_pool_embedding(made, r)[c] - z[c]), 2.0);
        locus_pool_destroy(made);
        fixture_free(&f);
    }
    CHECK(sqrt(spread[0] / spread[1]) > 2.5 && sqrt(spread[0] / spread[1]) < 7.0); // about the root of 16
}

static int stop_at_once(void *user, size_t done, size_t total)
{
    if (user) *(size_t *)user += 1;
    return done > total || 1;
}

static void bad_versions_are_refused(void)
{
    fixture f;
    locus_resample_opts o;
    locus_run run;
    locus_pool *made = (locus_pool *)&f;
    locus_evals e;
    raw_file *raw;
    locus_net *small;
    locus_pool *edge;
    size_t i;
    if (!fixture_make(&f, 20, PLAIN, 0, 1, LOCUS_ISA_AUTO, 8)) return;
    ZERO(o);
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_resample(NULL, f.pool, &f.evals, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_resample(&made, NULL, &f.evals, NULL, NULL, &g_err));
    CHECK(made == NULL);
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_resample(&made, f.pool, NULL, NULL, NULL, &g_err));
    e = f.evals, e.scores.models = 2;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_resample(&made, f.pool, &e, NULL, NULL, &g_err));
    e = f.evals, e.queries.dim = 11;
    CHECK_STATUS(LOCUS_ERR_QUERY_DIM, locus_pool_resample(&made, f.pool, &e, NULL, NULL, &g_err));
    e = f.evals, e.queries.count = 0;
    CHECK_STATUS(LOCUS_ERR_EMPTY_SET, locus_pool_resample(&made, f.pool, &e, NULL, NULL, &g_err));
    o.count = SIZE_MAX;
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, locus_pool_resample(&made, f.pool, &f.evals, &o, NULL, &g_err));
    o.count = 4;
    ZERO(run);
    run.progress = stop_at_once;
    CHECK_STATUS(LOCUS_ERR_CANCELLED, locus_pool_resample(&made, f.pool, &f.evals, &o, &run, &g_err));
    f.scores[3] = 1.5f;
    CHECK_STATUS(LOCUS_ERR_SCORE, locus_pool_resample(&made, f.pool, &f.evals, NULL, NULL, &g_err));
    f.scores[3] = 1.0f;
    f.enc[5] = f_nan();
    CHECK_STATUS(LOCUS_ERR_NONFINITE, locus_pool_resample(&made, f.pool, &f.evals, NULL, NULL, &g_err));
    locus_pool_set_recall(f.pool, 0.0, NULL);
    CHECK_STATUS(LOCUS_ERR_NONFINITE, locus_pool_resample(&made, f.pool, &f.evals, NULL, NULL, &g_err));
    f.enc[5] = 0.5f;
    for (i = 1; i < 50; i++) { // every allocation fails once
        locus_status status;
        g_fail_at = i;
        g_failed_mallocs = 0;
        status = locus_pool_resample(&made, f.pool, &f.evals, &o, NULL, &g_err);
        g_fail_at = 0;
        if (!g_failed_mallocs) {
            CHECK_GOT(LOCUS_OK, status);
            locus_pool_destroy(made);
            break;
        }
        CHECK_GOT(LOCUS_ERR_MEMORY, status);
        CHECK(made == NULL);
    }
    CHECK(i > 2 && i < 50);
    raw = raw_from_net(&f.ref);
    for (i = raw->count; i-- > 0;)
        if (!strncmp(raw->t[i].name, "encoder.", 8)) raw_drop(raw, i);
    CHECK_STATUS(LOCUS_OK, raw_create(raw, NULL, &small));
    CHECK_STATUS(LOCUS_OK, locus_pool_create(&edge, small, 0, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_NO_ENCODER, locus_pool_resample(&made, edge, &f.evals, NULL, NULL, &g_err));
    locus_pool_destroy(edge);
    locus_net_destroy(small);
    raw_free(raw);
    fixture_free(&f);
}

// ---------------------------------------------------------------------------------------------------- explanations

// What a user would do: take the evaluation out, encode, remember, predict. row SIZE_MAX: none is taken out.
static double chance_without(const fixture *f, const locus_pool *pool, size_t model, const float *q, size_t row)
{
    locus_pool *copy;
    float z[16], *logits = floats(locus_pool_count(pool)), *scores = floats(f->n);
    locus_queries query = queries_of(q, 1, f->D);
    locus_evals e = f->evals;
    double p;
    memcpy(scores, f->scores, f->n * sizeof(float));
    if (row != SIZE_MAX) scores[row] = f_nan();
    e.scores.f32 = scores;
    CHECK_STATUS(LOCUS_OK, locus_pool_copy(&copy, pool, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, encode(f->net, &e, z));
    CHECK_STATUS(LOCUS_OK, locus_pool_set(copy, model, NULL, z, &g_err));
    if (pool->memory.landmarks && pool->recalled[model])
        CHECK_STATUS(LOCUS_OK, locus_pool_recall_model(copy, model, &e, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, predict(copy, &query, logits, NULL));
    p = locus_probability((double)logits[model]);
    locus_pool_destroy(copy);
    free(logits), free(scores);
    return p;
}

static void influences_are_what_leaving_out_does(void)
{
    static const size_t sizes[] = {2, 3, 30, 110};
    size_t k, i;
    int kind, memory;
    for (memory = 0; memory < 2; memory++)
        for (kind = PLAIN; kind <= FRACTIONS; kind++)
            for (k = 0; k < COUNT(sizes); k++) {
                fixture f;
                locus_explanation out, again;
                locus_explain_opts o;
                locus_reason influence[50], nearest[50], second[50], third[50];
                locus_queries query;
                float *q = normals(12, 0.4, 900 + k), logits[5];
                double with, last;
                context("memory %d, kind %d, %zu", memory, kind, sizes[k]);
                if (!fixture_make(&f, sizes[k], kind, 0, memory, LOCUS_ISA_AUTO, 60 + k)) return;
                query = queries_of(q, 1, f.D);
                ZERO(o);
                o.count = 50;
                o.candidates = 70;
                CHECK_STATUS(LOCUS_OK,
                             locus_explain(f.pool, 2, &f.evals, &query, &o, &out, influence, nearest, NULL, &g_err));
                with = chance_without(&f, f.pool, 2, q, SIZE_MAX);
                for (i = 0, last = 2.0; i < out.influences; i++) {
                    const locus_reason *r = &influence[i];
                    CHECK_NEAR(with - chance_without(&f, f.pool, 2, q, r->evaluation), r->influence, 2e-6);
                    CHECK_SAME("score", f.scores + r->evaluation, &r->score, 1);
                    CHECK(fabs(r->influence) <= last);
                    last = fabs(r->influence);
                }
                for (i = 0, last = 2.0; i < out.nearest; i++) {
                    const locus_reason *r = &nearest[i];
                    double dot = 0.0, a = 0.0, b = 0.0;
                    size_t c;
                    for (c = 0; c < f.D; c++) {
                        const double x = (double)q[c], y = (double)f.enc[r->evaluation * f.D + c];
                        dot += x * y, a += x * x, b += y * y;
                    }
                    CHECK_NEAR(dot / sqrt(a * b), (double)r->similarity, 1e-5);
                    CHECK((double)r->similarity <= last);
                    last = (double)r->similarity;
                    CHECK(r->score >= 0.0f);
                }
                CHECK_STATUS(LOCUS_OK, predict(f.pool, &query, logits, NULL));
                CHECK_NEAR(locus_probability((double)logits[2]), out.probability, 1e-12);
                { // threads change no bit; a longer list begins like a shorter one
                    size_t kind_of;
                    locus_run run;
                    ZERO(run);
                    for (kind_of = 1; kind_of < THREAD_KINDS; kind_of += 2) {
                        run.parallel = parallel_of(kind_of);
                        memset(second, 0, sizeof second), memset(third, 0, sizeof third);
                        CHECK_STATUS(LOCUS_OK, locus_explain(f.pool, 2, &f.evals, &query, &o, &again, second, third,
                                                             &run, &g_err));
                        CHECK_SIZE(out.influences, again.influences);
                        for (i = 0; i < out.influences; i++)
                            CHECK(influence[i].evaluation == second[i].evaluation &&
                                  !memcmp(&influence[i].influence, &second[i].influence, sizeof(double)));
                    }
                    o.count = 3;
                    CHECK_MEMORY(locus_explain(f.pool, 2, &f.evals, &query, &o, &again, second, third, &g_run, &g_err));
                    CHECK_STATUS(LOCUS_OK,
                                 locus_explain(f.pool, 2, &f.evals, &query, &o, &again, second, third, NULL, &g_err));
                    for (i = 0; i < again.influences; i++) CHECK(second[i].evaluation == influence[i].evaluation);
                    for (i = 0; i < again.nearest; i++) CHECK(third[i].evaluation == nearest[i].evaluation);
                    CHECK(again.nearest <= 3 && again.influences <= 3);
                }
                fixture_free(&f);
                free(q);
            }
}

static void explanations_have_edges(void)
{
    fixture f;
    locus_explanation out;
    locus_explain_opts o;
    locus_run run;
    locus_reason influence[8], nearest[8];
    locus_queries query;
    locus_evals e;
    float q[24] = {0.0f};
    size_t i;
    if (!fixture_make(&f, 40, PLAIN, 0, 1, LOCUS_ISA_AUTO, 8)) return;
    ZERO(o);
    query = queries_of(q, 1, f.D); // of length 0: as like to all
    CHECK_STATUS(LOCUS_OK, locus_explain(f.pool, 4, &f.evals, &query, &o, &out, influence, nearest, NULL, &g_err));
    CHECK_SIZE(8, out.nearest);
    for (i = 0; i < 8; i++) CHECK(nearest[i].evaluation == i && nearest[i].similarity == 0.0f);
    e = f.evals, e.queries.count = 1;
    CHECK_STATUS(LOCUS_OK, locus_explain(f.pool, 4, &e, &query, NULL, &out, influence, nearest, NULL, &g_err));
    CHECK_SIZE(0, out.influences); // without it there is no model
    CHECK_SIZE(1, out.nearest);
    CHECK(nearest[0].influence != nearest[0].influence);
    for (i = 0; i < 40; i++) { // all alike: all of the same influence, in order
        memcpy(f.enc + i * f.D, f.enc, f.D * sizeof(float));
        f.scores[i] = 1.0f;
    }
    CHECK_STATUS(LOCUS_OK, locus_explain(f.pool, 4, &f.evals, &query, NULL, &out, influence, nearest, NULL, &g_err));
    for (i = 1; i < 8; i++) CHECK_NEAR(influence[0].influence, influence[i].influence, 1e-6);
    CHECK_STATUS(LOCUS_ERR_ARGUMENT,
                 locus_explain(NULL, 0, &f.evals, &query, NULL, &out, influence, nearest, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT,
                 locus_explain(f.pool, 5, &f.evals, &query, NULL, &out, influence, nearest, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT,
                 locus_explain(f.pool, 0, NULL, &query, NULL, &out, influence, nearest, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT,
                 locus_explain(f.pool, 0, &f.evals, NULL, NULL, &out, influence, nearest, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT,
                 locus_explain(f.pool, 0, &f.evals, &query, NULL, NULL, influence, nearest, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT,
                 locus_explain(f.pool, 0, &f.evals, &query, NULL, &out, NULL, nearest, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT,
                 locus_explain(f.pool, 0, &f.evals, &query, NULL, &out, influence, NULL, NULL, &g_err));
    e = f.evals, e.scores.models = 2;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT,
                 locus_explain(f.pool, 0, &e, &query, NULL, &out, influence, nearest, NULL, &g_err));
    query.count = 2;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT,
                 locus_explain(f.pool, 0, &f.evals, &query, NULL, &out, influence, nearest, NULL, &g_err));
    query.count = 1, query.dim = 3;
    CHECK_STATUS(LOCUS_ERR_QUERY_DIM,
                 locus_explain(f.pool, 0, &f.evals, &query, NULL, &out, influence, nearest, NULL, &g_err));
    query.dim = f.D, q[3] = f_nan();
    CHECK_STATUS(LOCUS_ERR_NONFINITE,
                 locus_explain(f.pool, 0, &f.evals, &query, NULL, &out, influence, nearest, NULL, &g_err));
    q[3] = 0.0f;
    ZERO(run);
    run.progress = stop_at_once;
    CHECK_STATUS(LOCUS_ERR_CANCELLED,
                 locus_explain(f.pool, 0, &f.evals, &query, &o, &out, influence, nearest, &run, &g_err));
    for (i = 1; i < 50; i++) {
        locus_status status;
        g_fail_at = i;
        g_failed_mallocs = 0;
        status = locus_explain(f.pool, 0, &f.evals, &query, NULL, &out, influence, nearest, NULL, &g_err);
        g_fail_at = 0;
        CHECK_GOT(g_failed_mallocs ? LOCUS_ERR_MEMORY : LOCUS_OK, status);
        if (!g_failed_mallocs) break;
    }
    CHECK(i > 3 && i < 200);
    fixture_free(&f);
}

// ---------------------------------------------------------------------------------------------------- log

typedef struct entry { // a straightforward log: a list in order of scoring
    size_t row;
    float score;
} entry;

static void check_log(locus_log *log, const fixture *f, size_t model, const entry *list, size_t n, const float *enc)
{
    float *e = floats(n * f->D + 1), *scores = floats(n + 1), expected[16], z[16];
    locus_evals evals, own;
    size_t i, there;
    own = locus_log_evals(log, model);
    for (i = there = 0; i < own.queries.count; i++) there += own.scores.f32[i] >= 0.0f;
    CHECK_SIZE(n, there);
    for (i = 0; i < n; i++) {
        memcpy(e + i * f->D, enc + list[i].row * f->D, f->D * sizeof(float));
        scores[i] = list[i].score;
    }
    e[n * f->D] = scores[n] = 0.0f;
    evals = evals_of(e, n, f->D, scores);
    if (n) {
        CHECK_STATUS(LOCUS_OK, encode(f->net, &evals, expected));
        CHECK_STATUS(LOCUS_OK, encode(f->net, &own, z));
        CHECK_SAME("embedding of its evals", expected, z, 16);
    }
    free(e), free(scores);
}

static void logs_embed_like_the_encoder(void)
{
    size_t trial, step, i;
    for (trial = 0; trial < trials(14); trial++) {
        const size_t queries = trial % 7 == 6 ? 900 : 5 + 13 * (trial % 5), models = 1 + trial % 3;
        const int sab = trial % 4 == 3 && queries < 900;
        const size_t known = queries + queries / 2, steps = queries * 4;
        fixture f;
        locus_log *log;
        entry *list = (entry *)xmalloc(models * queries * sizeof *list);
        size_t count[3] = {0, 0, 0}, *row_of = (size_t *)xmalloc(known * sizeof(size_t));
        size_t *owner = (size_t *)xmalloc(queries * sizeof(size_t));
        float *enc;
        ref_rng g;
        locus_isa isa = (locus_isa)(trial % LOCUS_ISA_COUNT);
        if (isa && !locus_isa_supported(isa)) isa = LOCUS_ISA_SCALAR;
        g.state = 100 + trial + g_seed;
        if (!fixture_make(&f, 3, PLAIN, sab, 0, isa, 70 + trial)) return;
        enc = normals(known * f.D, 0.4, trial);
        for (i = 0; i < queries; i++) owner[i] = SIZE_MAX;
        CHECK_STATUS(LOCUS_OK, locus_log_create(&log, f.net, queries, models, NULL, &g_err));
        for (step = 0; step < steps; step++) {
            const size_t m = ref_range(&g, 0, models - 1), which = ref_range(&g, 0, known - 1);
            const double what = ref_uniform(&g);
            entry *mine = list + m * queries;
            size_t row = SIZE_MAX, j, used = 0;
            locus_status status;
            context("trial %zu, step %zu", trial, step);
            if (what < 0.02) { // forget
                const size_t keep = ref_range(&g, 0, queries / 2);
                CHECK_STATUS(LOCUS_OK, locus_log_forget(log, m, keep, &g_err));
                if (count[m] > keep) {
                    memmove(mine, mine + count[m] - keep, keep * sizeof *mine);
                    count[m] = keep;
                }
                continue;
            }
            for (i = 0; i < queries; i++) { // is every row taken by a score?
                size_t taken = 0;
                for (j = 0; j < models; j++) {
                    size_t l;
                    for (l = 0; l < count[j]; l++) taken |= list[j * queries + l].row == owner[i];
                }
                used += owner[i] != SIZE_MAX && taken;
                row = owner[i] == which ? i : row;
            }
            {
                const float score = what < 0.12  ? f_nan()
                                    : what < 0.4 ? (float)ref_uniform(&g)
                                    : what < 0.7 ? 1.0f
                                                 : 0.0f;
                locus_evals e;
                g_err.message[0] = 0;
                status = locus_log_add(log, m, enc + which * f.D, score, &g_err);
                if (status) { // no row is left for an unknown query
                    CHECK_GOT(LOCUS_ERR_MEMORY, status);
                    CHECK_SIZE(queries, used);
                    CHECK(row == SIZE_MAX && what >= 0.12);
                    continue;
                }
                if (row == SIZE_MAX && what >= 0.12) { // a new row, never one that has a score
                    e = locus_log_evals(log, m);
                    for (i = 0; i < e.queries.count; i++)
                        if (!memcmp(e.queries.encodings + i * f.D, enc + which * f.D, f.D * sizeof(float))) row = i;
                    if (!CHECK(row < queries)) break;
                    for (j = 0; j < models; j++)
                        for (i = 0; i < count[j]; i++) CHECK(owner[row] != list[j * queries + i].row);
                    owner[row] = which;
                }
                for (i = 0; i < count[m] && mine[i].row != which; i++) {}
                if (i < count[m]) memmove(mine + i, mine + i + 1, (--count[m] - i) * sizeof *mine);
                if (what >= 0.12) {
                    mine[count[m]].row = which;
                    mine[count[m]++].score = score;
                }
            }
            if (step % (queries == 900 ? 701 : 23) == 0) check_log(log, &f, m, mine, count[m], enc);
        }
        for (i = 0; i < models; i++) check_log(log, &f, i, list + i * queries, count[i], enc);
        locus_log_destroy(log);
        fixture_free(&f);
        free(list), free(row_of), free(owner), free(enc);
    }
}

static void logs_feed_the_pool(void)
{
    fixture f;
    locus_log *log;
    locus_pool *a, *b, *versions;
    locus_evals e;
    float z[16];
    size_t i;
    if (!fixture_make(&f, 60, PLAIN, 0, 1, LOCUS_ISA_AUTO, 5)) return;
    CHECK_STATUS(LOCUS_OK, locus_log_create(&log, f.net, 100, 2, NULL, &g_err));
    for (i = 0; i < 60; i++) {
        CHECK_STATUS(LOCUS_OK, locus_log_add(log, 1, f.enc + i * f.D, f.scores[i], &g_err));
    }
    e = locus_log_evals(log, 1);
    CHECK_STATUS(LOCUS_OK, locus_pool_copy(&a, f.pool, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_copy(&b, f.pool, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, encode(f.net, &e, z));
    CHECK_STATUS(LOCUS_OK, locus_pool_set(a, 3, NULL, z, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_recall_model(a, 3, &e, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, encode(f.net, &f.evals, z));
    CHECK_STATUS(LOCUS_OK, locus_pool_set(b, 3, NULL, z, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_recall_model(b, 3, &f.evals, NULL, &g_err));
    check_pools(a, b, f.D);
    CHECK_STATUS(LOCUS_OK, locus_pool_resample(&versions, a, &e, NULL, NULL, &g_err));
    locus_pool_destroy(versions);
    locus_pool_destroy(a);
    locus_pool_destroy(b);
    locus_log_destroy(log);
    fixture_free(&f);
}

// Joining is encoding, adding or setting, and recalling; a failure leaves the pool as it was.
static void joining_is_encode_put_and_recall(void)
{
    int memory;
    for (memory = 0; memory < 2; memory++) {
        fixture f;
        locus_pool *a, *b;
        locus_evals e;
        locus_run run;
        locus_model model;
        char tiny[64];
        float z[16];
        size_t index = 99, known = 0, i;
        context("memory %d", memory);
        if (!fixture_make(&f, 60, PLAIN, 0, memory, LOCUS_ISA_AUTO, 5)) return;
        e = f.evals;
        CHECK_STATUS(LOCUS_OK, locus_pool_copy(&a, f.pool, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_pool_copy(&b, f.pool, NULL, &g_err));
        for (i = 0; i < e.queries.count; i++) known += !(f.scores[i] != f.scores[i]);
        CHECK_STATUS(LOCUS_OK, encode(f.net, &e, z));
        // a known name is refined
        CHECK_STATUS(LOCUS_OK, locus_pool_join(a, locus_pool_model(a, 3)->name, &e, &index, NULL, &g_err));
        CHECK_SIZE(3, index);
        model = *locus_pool_model(b, 3);
        model.evaluations = known;
        CHECK_STATUS(LOCUS_OK, locus_pool_set(b, 3, &model, z, &g_err));
        if (memory) CHECK_STATUS(LOCUS_OK, locus_pool_recall_model(b, 3, &e, NULL, &g_err));
        check_pools(a, b, f.D);
        CHECK_SIZE(known, (size_t)locus_pool_model(a, 3)->evaluations);
        CHECK_NEAR(model.cost, locus_pool_model(a, 3)->cost, 0.0);
        // a new one is added, its cost unknown
        CHECK_STATUS(LOCUS_OK, locus_pool_join(a, "newcomer", &e, &index, NULL, &g_err));
        CHECK_SIZE(locus_pool_count(f.pool), index);
        CHECK(locus_pool_model(a, index)->cost != locus_pool_model(a, index)->cost);
        CHECK(locus_pool_model(a, index)->parameters_b != locus_pool_model(a, index)->parameters_b);
        CHECK(locus_pool_model(a, index)->available == 1);
        CHECK_SAME("the newcomer's embedding", z, locus_pool_embedding(a, index), 16);
        CHECK_SIZE(memory ? locus_pool_count(a) : 0, locus_pool_get_info(a).recall.models);
        // in memory of the caller's: too little says how much, which is enough
        CHECK_STATUS(LOCUS_OK, locus_pool_copy(&b, (locus_pool_destroy(b), a), NULL, &g_err));
        ZERO(run);
        run.memory = tiny, run.memory_bytes = sizeof tiny;
        for (i = 0; i < 4 && locus_pool_join(b, "newcomer", &e, NULL, &run, &g_err) == LOCUS_ERR_MEMORY; i++) {
            run.memory_bytes = g_err.bytes;
            check_pools(a, b, f.D);
            if (run.memory != tiny) free(run.memory);
            run.memory = xmalloc(run.memory_bytes);
        }
        CHECK_SIZE(1, i);
        check_pools(a, b, f.D);
        free(run.memory);
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_join(NULL, "x", &e, NULL, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_join(a, NULL, &e, NULL, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_join(a, "x", NULL, NULL, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_NAME, locus_pool_join(a, "a\nb", &e, NULL, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_NAME, locus_pool_join(a, "", &e, NULL, NULL, &g_err));
        e.scores.models = 2;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_join(a, "x", &e, NULL, NULL, &g_err));
        check_pools(a, b, f.D);
        locus_pool_destroy(a), locus_pool_destroy(b);
        fixture_free(&f);
    }
    g_context[0] = 0;
}

static void bad_logs_are_refused(void)
{
    fixture f;
    locus_log *log = NULL;
    locus_evals e;
    float q[12] = {0.0f}, z[16];
    size_t row = 0, i;
    if (!fixture_make(&f, 5, PLAIN, 0, 0, LOCUS_ISA_AUTO, 5)) return;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_log_create(NULL, f.net, 3, 1, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_log_create(&log, NULL, 3, 1, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_log_create(&log, f.net, 0, 1, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_log_create(&log, f.net, 3, 0, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, locus_log_create(&log, f.net, SIZE_MAX, 1, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, locus_log_create(&log, f.net, 1000, SIZE_MAX / 8, NULL, &g_err));
    CHECK(log == NULL);
    for (i = 1; i < 9; i++) {
        const long blocks = g_blocks;
        g_fail_at = i;
        CHECK_STATUS(LOCUS_ERR_MEMORY, locus_log_create(&log, f.net, 3, 1, NULL, &g_err));
        g_fail_at = 0;
        CHECK(log == NULL && g_blocks == blocks);
    }
    CHECK_MEMORY(locus_log_create(&log, f.net, 3, 1, &g_run, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_log_create(&log, f.net, 2, 2, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_log_add(NULL, 0, q, 1.0f, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_log_add(log, 0, NULL, 1.0f, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_log_add(log, 2, q, 1.0f, &g_err));
    CHECK_STATUS(LOCUS_ERR_SCORE, locus_log_add(log, 0, q, 1.01f, &g_err));
    CHECK_STATUS(LOCUS_ERR_SCORE, locus_log_add(log, 0, q, -f_inf(), &g_err));
    q[2] = f_inf();
    CHECK_STATUS(LOCUS_ERR_NONFINITE, locus_log_add(log, 0, q, 1.0f, &g_err));
    q[2] = 1e30f;
    CHECK_STATUS(LOCUS_ERR_NONFINITE, locus_log_add(log, 0, q, 1.0f, &g_err));
    q[2] = 0.0f;
    CHECK_STATUS(LOCUS_OK, locus_log_add(log, 0, q, f_nan(), &g_err)); // nothing to take out
    CHECK_SIZE(0, locus_log_evals(log, 0).queries.count);
    for (i = 0; i < 2; i++) {
        q[1] = (float)i;
        CHECK_STATUS(LOCUS_OK, locus_log_add(log, i, q, 1.0f, &g_err));
        CHECK_SIZE(i + 1, locus_log_evals(log, 0).queries.count);
    }
    q[1] = 7.0f;
    CHECK_STATUS(LOCUS_ERR_MEMORY, locus_log_add(log, 0, q, 1.0f, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_log_forget(NULL, 0, 0, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_log_forget(log, 9, 0, &g_err));
    e = locus_log_evals(log, 2);
    CHECK_STATUS(LOCUS_ERR_QUERY_DIM, encode(f.net, &e, z));
    for (i = 0; i < 200; i++) { // the one free row changes hands: no trace of the earlier ones is left
        CHECK_STATUS(LOCUS_OK, locus_log_forget(log, 0, 0, &g_err));
        q[1] = 10.0f + (float)i;
        CHECK_STATUS(LOCUS_OK, locus_log_add(log, 0, q, 0.5f, &g_err));
        CHECK(locus_log_evals(log, 0).scores.f32[0] > 0.0f);
    }
    for (row = i = 0; i < log->buckets; i++) {
        uint32_t at;
        for (at = log->bucket[i]; at; at = log->next[at - 1]) row++;
    }
    CHECK_SIZE(2, row);
    locus_log_destroy(log);
    locus_log_destroy(NULL);
    fixture_free(&f);
}

// ---------------------------------------------------------------------------------------------------- copies

static void copies_are_whole_and_their_own(void)
{
    int memory;
    size_t i;
    for (memory = 0; memory < 2; memory++) {
        fixture f;
        locus_pool *copy, *second, *empty;
        float z[16] = {1.0f};
        const locus_model more = model_named("one more", 2.0f);
        context("memory %d", memory);
        if (!fixture_make(&f, 30, PLAIN, 0, memory, LOCUS_ISA_AUTO, 5)) return;
        CHECK_STATUS(LOCUS_OK, locus_pool_copy(&copy, f.pool, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_pool_copy(&second, f.pool, NULL, &g_err));
        check_pools(f.pool, copy, f.D);
        CHECK_TEXT(locus_pool_get_info(f.pool).query_encoder, locus_pool_get_info(copy).query_encoder);
        CHECK(!memcmp(&copy->memory.weight, &f.pool->memory.weight, sizeof(float)));
        CHECK_SIZE(locus_pool_get_info(f.pool).recall.queries, locus_pool_get_info(copy).recall.queries);
        if (memory) CHECK(!memcmp(copy->memory.items, f.pool->memory.items, 140 * sizeof(float)));
        CHECK(copy->calibrated == 1);
        for (i = 0; i < 5; i++) CHECK_SIZE(i, locus_pool_find(copy, locus_pool_model(f.pool, i)->name));
        CHECK_STATUS(LOCUS_OK, locus_pool_set(copy, 0, NULL, z, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_pool_add(copy, &more, z, NULL, &g_err));
        if (memory) CHECK_STATUS(LOCUS_OK, locus_pool_recall_model(copy, 5, &f.evals, NULL, &g_err));
        check_pools(f.pool, second, f.D); // nothing has changed there
        CHECK_STATUS(LOCUS_OK, locus_pool_add(f.pool, &more, z, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_pool_set(f.pool, 0, NULL, z, &g_err));
        if (memory) CHECK_STATUS(LOCUS_OK, locus_pool_recall_model(f.pool, 5, &f.evals, NULL, &g_err));
        check_pools(f.pool, copy, f.D);
        locus_pool_destroy(copy);
        while (locus_pool_count(second)) CHECK_STATUS(LOCUS_OK, locus_pool_remove(second, 0, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_pool_copy(&empty, second, NULL, &g_err));
        CHECK_SIZE(0, locus_pool_count(empty));
        CHECK_STATUS(LOCUS_OK, locus_pool_add(empty, &more, z, NULL, &g_err));
        if (memory) CHECK_STATUS(LOCUS_OK, locus_pool_recall_model(empty, 0, &f.evals, NULL, &g_err));
        locus_pool_destroy(empty);
        locus_pool_destroy(second);
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_copy(NULL, f.pool, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_copy(&copy, NULL, NULL, &g_err));
        CHECK(copy == NULL);
        for (i = 1; i < 10; i++) {
            locus_status status;
            g_fail_at = i;
            g_failed_mallocs = 0;
            status = locus_pool_copy(&copy, f.pool, NULL, &g_err);
            g_fail_at = 0;
            CHECK_GOT(g_failed_mallocs ? LOCUS_ERR_MEMORY : LOCUS_OK, status);
            if (!g_failed_mallocs) break;
            CHECK(copy == NULL);
        }
        locus_pool_destroy(copy);
        fixture_free(&f);
    }
}

// ---------------------------------------------------------------------------------------------------- the guard

// Models on queries of three topics, with chances that are known.
typedef struct guarded {
    ref_net ref;
    raw_file *raw;
    locus_net *net;
    locus_pool *pool;
    size_t n, M;
    int kind;
    float *enc, *scores, *asked; // [n, GD], [M, n], [ASKED, GD]
    locus_evals evals;
} guarded;

enum { GD = 12, TOPICS = 3, ASKED = 600 };
enum { LEADER, SPECIALISTS, GAPPY }; // model 2 leads on all topics; each is good at one; so, with gaps and fractions

static double chance_of(int kind, size_t m, size_t topic)
{
    if (kind == LEADER) return m == 2 ? 0.75 : 0.62;
    return m % TOPICS == topic ? 0.9 : 0.3 + 0.01 * (double)m;
}

static int guarded_make(guarded *w, int kind, size_t n, size_t M, uint64_t seed)
{
    locus_learn_opts memory;
    float *centre = normals(TOPICS * GD, 0.6, 4), *z = floats(M * 16);
    ref_rng g;
    size_t i, m, c;
    ZERO(*w);
    ZERO(memory);
    g.state = seed * 31 + g_seed;
    w->n = n, w->M = M, w->kind = kind;
    ref_init(&w->ref, GD, 16, 2, 2, 5, 12, 0, 2, 3);
    w->raw = raw_from_net(&w->ref);
    if (!CHECK_STATUS(LOCUS_OK, raw_create(w->raw, NULL, &w->net))) return 0;
    w->enc = normals(n * GD, 0.2, seed + 1), w->asked = normals(ASKED * GD, 0.2, seed + 2);
    w->scores = floats(M * n);
    for (i = 0; i < n + ASKED; i++)
        for (c = 0; c < GD; c++)
            *(i < n ? &w->enc[i * GD + c] : &w->asked[(i - n) * GD + c]) += centre[i % TOPICS * GD + c];
    for (m = 0; m < M; m++)
        for (i = 0; i < n; i++) {
            const double p = chance_of(kind, m, i % TOPICS);
            w->scores[m * n + i] = ref_uniform(&g) < p ? 1.0f : 0.0f;
            if (kind == GAPPY && m % 2) w->scores[m * n + i] = (float)(0.6 * p + 0.4 * ref_uniform(&g));
            if (kind == GAPPY && i != m && ref_uniform(&g) < 0.2) w->scores[m * n + i] = f_nan();
        }
    w->evals = evals_of(w->enc, n, GD, w->scores);
    w->evals.scores.models = M;
    CHECK_STATUS(LOCUS_OK, encode(w->net, &w->evals, z));
    w->pool = pool_of(w->net, z, M);
    memory.recall_weight = 1.0; // nobody trained the net
    CHECK_STATUS(LOCUS_OK, learn_recall(w->pool, &w->evals, &memory, &g_err));
    free(centre), free(z);
    return 1;
}

static void guarded_free(guarded *w)
{
    locus_pool_destroy(w->pool);
    locus_net_destroy(w->net);
    raw_free(w->raw);
    ref_free(&w->ref);
    free(w->enc), free(w->scores), free(w->asked);
}

// The chance of a right answer, routed as the pool's guard says (use) or without one; leader: of always that model.
static double routed(const guarded *w, locus_guard_use use, size_t leader)
{
    const locus_queries q = queries_of(w->asked, ASKED, GD);
    locus_choice *choice = (locus_choice *)xmalloc(ASKED * sizeof *choice);
    locus_route_opts o;
    double sum = 0.0;
    size_t i;
    ZERO(o);
    o.guard = use;
    CHECK_STATUS(LOCUS_OK, locus_route(w->pool, &q, &o, choice, NULL, NULL, &g_err));
    for (i = 0; i < ASKED; i++)
        sum += chance_of(w->kind, leader == SIZE_MAX ? choice[i].model : leader, (w->n + i) % TOPICS) / ASKED;
    free(choice);
    return sum;
}

static void guards_keep_leaders_and_let_specialists_go(void)
{
    double margins = 0.0, gains = 0.0, losses = 0.0;
    const size_t worlds = g_quick ? 3 : 16;
    size_t k;
    for (k = 0; k < worlds; k++) {
        guarded w;
        locus_guard guard;
        double kept, free_choice;
        context("leader %zu", k);
        if (!guarded_make(&w, LEADER, 200, 20, 50 + k)) return;
        CHECK_SIZE(SIZE_MAX, locus_pool_get_info(w.pool).guard.model);
        CHECK_STATUS(LOCUS_OK, learn_guard(w.pool, &w.evals, NULL, NULL, &g_err));
        guard = locus_pool_get_info(w.pool).guard;
        kept = routed(&w, LOCUS_GUARD_POOL, SIZE_MAX), free_choice = routed(&w, LOCUS_GUARD_NONE, SIZE_MAX);
        CHECK(guard.margin >= 0.0 && guard.margin <= 1.0);
        if (guard.model == 2) CHECK(kept >= free_choice - 0.002);
        margins += guard.margin / (double)worlds, gains += (kept - free_choice) / (double)worlds;
        losses += (chance_of(LEADER, 2, 0) - kept) / (double)worlds;
        guarded_free(&w);
    }
    g_context[0] = 0;
    if (!g_quick) { // without it some queries go to models that seem better by chance
        CHECK(margins > 0.003);
        CHECK(gains > 0.002);
        CHECK(losses < 0.03);
    }
    for (k = 0; k < 3; k++) {
        guarded w;
        locus_guard guard;
        double kept, alone;
        context("specialists %zu", k);
        if (!guarded_make(&w, SPECIALISTS, 240, 6, 70 + k)) return;
        CHECK_STATUS(LOCUS_OK, learn_guard(w.pool, &w.evals, NULL, NULL, &g_err));
        guard = locus_pool_get_info(w.pool).guard;
        alone = routed(&w, LOCUS_GUARD_NONE, guard.model), kept = routed(&w, LOCUS_GUARD_POOL, SIZE_MAX);
        CHECK(guard.margin < 0.05);
        CHECK(kept > alone + 0.25);
        CHECK(kept > 0.85);
        guarded_free(&w);
    }
}

// The guard once more: each fifth of the queries predicted by a pool of the others, then Bayesian least squares of the
// gains, gain = a + b d with a ~ N(0, 0.02^2) and b ~ N(1, 0.25^2).
static double margin_by_hand(const guarded *w, size_t leader, const locus_queries *unlabelled, float weight)
{
    const size_t n = w->n, M = w->M;
    float *y = floats(M * n), *held = floats(n * GD), *z = floats(M * 16), *logits = floats(n * M);
    double *d = ref_alloc(n), *gain = ref_alloc(n), mean = 0.0, v = 0.0, a, b;
    double xx = 0.0, x1 = 0.0, xy = 0.0, y1 = 0.0, ra, rb, qa, qb, qab;
    size_t part, i, m, count = 0;
    locus_evals rest;
    locus_queries asked;
    locus_pool *made;
    for (part = 0; part < 5; part++) {
        size_t in = 0, out = 0, *at = (size_t *)xmalloc((n + 1) * sizeof *at);
        unsigned char *whole =
            (unsigned char *)xmalloc(M); // known from this part alone: predicted from it, no candidate
        for (i = 0; i < n; i++) {
            if (locusi_encoding_hash(w->enc + i * GD, GD) % 5 == part) {
                memcpy(held + in * GD, w->enc + i * GD, GD * sizeof(float));
                at[in++] = i;
            } else out++;
        }
        for (m = 0; m < M; m++) {
            memcpy(y + m * n, w->scores + m * n, n * sizeof(float));
            for (i = 0; i < in; i++) y[m * n + at[i]] = f_nan();
            for (i = 0; i < n && !(y[m * n + i] >= 0.0f); i++) continue;
            whole[m] = i == n;
            if (whole[m]) memcpy(y + m * n, w->scores + m * n, n * sizeof(float));
        }
        if (in && out) {
            rest = evals_of(w->enc, n, GD, y);
            rest.scores.models = M;
            CHECK_STATUS(LOCUS_OK, encode(w->net, &rest, z));
            made = pool_of(w->net, z, M);
            if (w->pool->memory.landmarks) { // with the ratios that all evaluations told
                locusi_recall learned;
                locusi_recall_fit fit;
                locusi_work work;
                ZERO(learned);
                ZERO(fit);
                learned.q = GD, learned.weight = weight;
                memcpy(learned.ratio, w->pool->memory.ratio, sizeof learned.ratio);
                locusi_work_begin(&work, NULL);
                CHECK_STATUS(LOCUS_OK,
                             locusi_recall_learn(&learned, w->net->kernels, &rest, unlabelled, &fit, &work, &g_err));
                CHECK_STATUS(LOCUS_OK, locusi_pool_take_recall(made, &learned, &fit, &g_err));
                locusi_work_end(&work);
            }
            asked = queries_of(held, in, GD);
            CHECK_STATUS(LOCUS_OK, predict(made, &asked, logits, NULL));
            for (i = 0; i < in; i++) {
                size_t best = leader;
                const float kept = w->scores[leader * n + at[i]];
                if (!(kept >= 0.0f) || whole[leader]) continue;
                for (m = 0; m < M; m++)
                    if (!whole[m] && w->scores[m * n + at[i]] >= 0.0f && logits[i * M + m] > logits[i * M + best])
                        best = m;
                if (best == leader) continue;
                d[count] = 1.0 / (1.0 + exp(-(double)logits[i * M + best])) -
                           1.0 / (1.0 + exp(-(double)logits[i * M + leader]));
                gain[count++] = (double)w->scores[best * n + at[i]] - (double)kept;
            }
            locus_pool_destroy(made);
        }
        free(at), free(whole);
    }
    for (i = 0; i < count; i++) mean += gain[i] / (double)count;
    for (i = 0; i < count; i++) v += (gain[i] - mean) * (gain[i] - mean) / (double)count;
    v = v > 0.05 ? v : 0.05;
    for (i = 0; i < count; i++) xx += d[i] * d[i], x1 += d[i], xy += d[i] * gain[i], y1 += gain[i];
    // the posterior's precision and where its gradient is 0
    qa = (double)count / v + 1.0 / 0.0004, qb = xx / v + 16.0, qab = x1 / v;
    ra = y1 / v, rb = xy / v + 16.0;
    b = (rb - qab / qa * ra) / (qb - qab * qab / qa);
    a = (ra - qab * b) / qa;
    free(y), free(held), free(z), free(logits), free(d), free(gain);
    if (!(b > 0.05)) return 1.0;
    a = -a / b;
    return a < 0.0 ? 0.0 : a > 1.0 ? 1.0 : a;
}

static void guards_are_what_leaving_a_fifth_out_tells(void)
{
    size_t k, above = 0;
    for (k = 0; k < (g_quick ? 2u : 10u); k++) {
        guarded w;
        locus_queries unlabelled;
        locus_guard guard;
        double *means = ref_alloc(16);
        size_t order[16];
        locus_scores scores;
        size_t i, m;
        float weight = k == 5 ? 1e-30f : k == 6 ? 0.5f : 1.0f;
        context("case %zu", k);
        if (!guarded_make(&w, k % 3 == 0 ? LEADER : k % 3 == 1 ? GAPPY : SPECIALISTS, k == 8 ? 12 : 90, 5 + k, 90 + k))
            return;
        unlabelled = queries_of(w.asked, 200, GD);
        if (k >= 8) { // models with a single evaluation, that no other model shares or that all do
            for (m = 4; m < 8; m++)
                for (i = 0; i < w.n; i++) w.scores[m * w.n + i] = i == m ? 1.0f : f_nan();
        }
        if (k == 3) locus_pool_set_recall(w.pool, 0.0, NULL); // the net alone
        if (k != 3) CHECK_STATUS(LOCUS_OK, locus_pool_set_recall(w.pool, (double)weight, &g_err));
        ZERO(scores);
        scores.models = w.M, scores.count = w.n, scores.f32 = w.scores;
        CHECK_STATUS(LOCUS_OK, locus_leaders(&scores, NULL, w.n, LOCUS_AMONG_SCORED, order, means, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, learn_guard(w.pool, &w.evals, k % 2 ? &unlabelled : NULL, NULL, &g_err));
        guard = locus_pool_get_info(w.pool).guard;
        CHECK_SIZE(order[0], guard.model);
        CHECK_NEAR(margin_by_hand(&w, guard.model, k % 2 ? &unlabelled : NULL, weight), guard.margin, 1e-4);
        above += guard.margin > 0.001 && guard.margin < 0.999;
        free(means);
        guarded_free(&w);
    }
    g_context[0] = 0;
    if (!g_quick) CHECK(above >= 3);
}

static void guards_do_not_depend_on_order_or_threads(void)
{
    size_t k, kind, i, m;
    for (k = 0; k < 2; k++) {
        guarded w;
        locus_guard first, again;
        float *q, *y, *wide;
        unsigned char *mask;
        locus_evals e;
        locus_pool *loaded = NULL;
        const char *path = temp_path("guarded.safetensors");
        context("case %zu", k);
        if (!guarded_make(&w, k ? GAPPY : LEADER, 100, 8, 33)) return;
        CHECK_STATUS(LOCUS_OK, learn_guard(w.pool, &w.evals, NULL, NULL, &g_err));
        first = locus_pool_get_info(w.pool).guard;
        for (kind = 1; kind < THREAD_KINDS; kind++) {
            CHECK_STATUS(LOCUS_OK, locus_pool_set_guard(w.pool, 1, 0.9, &g_err)); // the old one plays no part
            CHECK_STATUS(LOCUS_OK, learn_guard(w.pool, &w.evals, NULL, parallel_of(kind), &g_err));
            again = locus_pool_get_info(w.pool).guard;
            CHECK_SIZE(first.model, again.model);
            CHECK_NEAR(first.margin, again.margin, 0.0);
        }
        q = floats(w.n * GD), y = floats(w.M * w.n);
        for (i = 0; i < w.n; i++) { // another order: the same to rounding
            const size_t from = i * 37 % w.n;
            memcpy(q + i * GD, w.enc + from * GD, GD * sizeof(float));
            for (m = 0; m < w.M; m++) y[m * w.n + i] = w.scores[m * w.n + from];
        }
        e = w.evals, e.queries.encodings = q, e.scores.f32 = y;
        CHECK_STATUS(LOCUS_OK, learn_guard(w.pool, &e, NULL, NULL, &g_err));
        again = locus_pool_get_info(w.pool).guard;
        CHECK_SIZE(first.model, again.model);
        CHECK_NEAR(first.margin, again.margin, 1e-4);
        free(q), free(y);
        // rows that nobody scored, absurd ones, and a stride
        wide = floats((w.n + 20) * 17), y = floats(w.M * (w.n + 20));
        mask = (unsigned char *)xmalloc(w.M * (w.n + 20));
        for (i = 0; i < (w.n + 20) * 17; i++) wide[i] = i % 3 ? f_nan() : 3e38f;
        for (i = 0; i < w.n + 20; i++) {
            const size_t from = i - i / 6; // every sixth is none
            const int has = i % 6 != 5;
            if (has && from < w.n) memcpy(wide + i * 17, w.enc + from * GD, GD * sizeof(float));
            for (m = 0; m < w.M; m++) {
                mask[m * (w.n + 20) + i] = (unsigned char)(has || k);
                y[m * (w.n + 20) + i] = has && from < w.n ? w.scores[m * w.n + from] : k ? f_nan() : 1.0f;
            }
        }
        e = w.evals, e.queries = queries_of(wide, w.n + 20, GD), e.queries.stride = 17, e.scores.f32 = y,
        e.scores.mask = mask;
        CHECK_STATUS(LOCUS_OK, learn_guard(w.pool, &e, NULL, NULL, &g_err));
        again = locus_pool_get_info(w.pool).guard;
        CHECK_SIZE(first.model, again.model);
        CHECK_NEAR(first.margin, again.margin, 0.0);
        free(wide), free(y), free(mask);
        CHECK_STATUS(LOCUS_OK, locus_pool_save(w.pool, path, LOCUS_SAVE_POOL, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_pool_open(&loaded, w.net, path, NULL, &g_err));
        again = locus_pool_get_info(loaded).guard;
        CHECK_SIZE(first.model, again.model);
        CHECK_NEAR(first.margin, again.margin, 0.0);
        // a loaded pool learns it as well: its ratios are found anew, in each part
        CHECK_STATUS(LOCUS_OK, learn_guard(loaded, &w.evals, NULL, NULL, &g_err));
        CHECK_SIZE(first.model, locus_pool_get_info(loaded).guard.model);
        CHECK_NEAR(first.margin, locus_pool_get_info(loaded).guard.margin, 0.1);
        locus_pool_destroy(loaded);
        remove(path);
        guarded_free(&w);
    }
}

static void guards_have_edges(void)
{
    guarded w;
    locus_evals e, bad;
    locus_guard guard;
    float *one;
    unsigned char *scores;
    size_t i, m;
    long blocks;
    context("one model");
    if (!guarded_make(&w, LEADER, 50, 1, 5)) return;
    CHECK_STATUS(LOCUS_OK, learn_guard(w.pool, &w.evals, NULL, NULL, &g_err));
    CHECK_SIZE(0, locus_pool_get_info(w.pool).guard.model);
    CHECK_NEAR(0.0, locus_pool_get_info(w.pool).guard.margin, 0.0);
    CHECK(!signbit(locus_pool_get_info(w.pool).guard.margin));
    CHECK_NEAR(chance_of(LEADER, 0, 0), routed(&w, LOCUS_GUARD_POOL, SIZE_MAX), 1e-9); // that one
    guarded_free(&w);
    if (!guarded_make(&w, GAPPY, 50, 7, 6)) return;
    context("single evaluations");
    one = floats(w.M * w.n);
    for (i = 0; i < w.M * w.n; i++) one[i] = f_nan();
    for (m = 0; m < w.M; m++) one[m * w.n + 7 * m] = m == 4 ? 1.0f : 0.0f;
    e = w.evals, e.scores.f32 = one;
    CHECK_STATUS(LOCUS_OK, learn_guard(w.pool, &e, NULL, NULL, &g_err));
    CHECK(locus_pool_get_info(w.pool).guard.model < w.M);
    CHECK_NEAR(0.0, locus_pool_get_info(w.pool).guard.margin, 0.0); // nothing was learned
    for (i = 0; i < w.n; i++) one[2 * w.n + i] = (float)(i % 4 != 0), one[5 * w.n + i] = (float)(i % 4 == 0);
    CHECK_STATUS(LOCUS_OK, learn_guard(w.pool, &e, NULL, NULL, &g_err)); // some of them
    CHECK_SIZE(2, locus_pool_get_info(w.pool).guard.model);
    context("one query");
    e = w.evals, e.queries.count = 1;
    scores = (unsigned char *)xmalloc(w.M * w.n);
    for (i = 0; i < w.M * w.n; i++) scores[i] = i % 3 == 0;
    e.scores.f32 = NULL, e.scores.u8 = scores;
    CHECK_STATUS(LOCUS_OK, learn_guard(w.pool, &e, NULL, NULL, &g_err));
    CHECK_NEAR(0.0, locus_pool_get_info(w.pool).guard.margin, 0.0);
    context("the same query again and again"); // all in one part
    one = (float *)(free(one), floats(w.n * GD));
    for (i = 0; i < w.n; i++) memcpy(one + i * GD, w.enc, GD * sizeof(float));
    e.queries = queries_of(one, w.n, GD);
    CHECK_STATUS(LOCUS_OK, learn_guard(w.pool, &e, NULL, NULL, &g_err));
    CHECK_NEAR(0.0, locus_pool_get_info(w.pool).guard.margin, 0.0);
    context("refusals");
    CHECK_STATUS(LOCUS_OK, locus_pool_set_guard(w.pool, 3, 0.25, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, learn_guard(NULL, &w.evals, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, learn_guard(w.pool, NULL, NULL, NULL, &g_err));
    bad = w.evals, bad.scores.models--;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, learn_guard(w.pool, &bad, NULL, NULL, &g_err));
    bad = w.evals, bad.scores.f32 = NULL;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, learn_guard(w.pool, &bad, NULL, NULL, &g_err));
    bad = w.evals, bad.queries.dim--;
    CHECK_STATUS(LOCUS_ERR_QUERY_DIM, learn_guard(w.pool, &bad, NULL, NULL, &g_err));
    memset(scores, 255, w.n), bad = e, bad.queries = w.evals.queries; // model 0 has none
    CHECK_STATUS(LOCUS_ERR_EMPTY_SET, learn_guard(w.pool, &bad, NULL, NULL, &g_err));
    scores[3] = 7;
    CHECK_STATUS(LOCUS_ERR_SCORE, learn_guard(w.pool, &bad, NULL, NULL, &g_err));
    {
        const float was = w.enc[5 * GD + 2];
        locus_queries others = queries_of(w.asked, 40, GD);
        w.enc[5 * GD + 2] = f_nan();
        CHECK_STATUS(LOCUS_ERR_NONFINITE, learn_guard(w.pool, &w.evals, NULL, NULL, &g_err));
        w.enc[5 * GD + 2] = was;
        w.asked[77] = f_inf();
        CHECK_STATUS(LOCUS_ERR_NONFINITE, learn_guard(w.pool, &w.evals, &others, NULL, &g_err));
        w.asked[77] = 0.0f;
        others.dim = 3;
        CHECK_STATUS(LOCUS_ERR_QUERY_DIM, learn_guard(w.pool, &w.evals, &others, NULL, &g_err));
    }
    guard = locus_pool_get_info(w.pool).guard;
    CHECK_SIZE(3, guard.model);
    CHECK_NEAR(0.25, guard.margin, 0.0);
    context("failing allocations");
    blocks = g_blocks;
    for (i = 1; i < 2000; i += g_quick ? 7 : 1) {
        locus_status status;
        locus_pool *before = NULL;
        CHECK_STATUS(LOCUS_OK, locus_pool_copy(&before, w.pool, NULL, &g_err));
        g_failed_mallocs = 0;
        g_fail_at = i;
        status = learn_guard(w.pool, &w.evals, NULL, NULL, &g_err);
        g_fail_at = 0;
        if (!g_failed_mallocs) {
            CHECK_GOT(LOCUS_OK, status);
            locus_pool_destroy(before);
            break;
        }
        CHECK_GOT(LOCUS_ERR_MEMORY, status);
        guard = locus_pool_get_info(w.pool).guard;
        CHECK_SIZE(3, guard.model);
        CHECK_NEAR(0.25, guard.margin, 0.0);
        check_pools(before, w.pool, GD);
        locus_pool_destroy(before);
        CHECK_SIZE((size_t)blocks, (size_t)g_blocks);
    }
    CHECK(i > 20 && i < 2000);
    g_context[0] = 0;
    free(one), free(scores);
    guarded_free(&w);
}

// ---------------------------------------------------------------------------------------------------- main

#define TEST(name)                                                                                                     \
    {                                                                                                                  \
#name, name                                                                                                    \
    }
static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    TEST(unscored_rows_are_not_looked_at),
    TEST(versions_embed_the_drawn_evaluations),
    TEST(versions_remember_the_drawn_evaluations),
    TEST(versions_depend_on_seed_and_place_alone),
    TEST(versions_stray_less_with_more_evaluations),
    TEST(bad_versions_are_refused),
    TEST(influences_are_what_leaving_out_does),
    TEST(explanations_have_edges),
    TEST(logs_embed_like_the_encoder),
    TEST(logs_feed_the_pool),
    TEST(joining_is_encode_put_and_recall),
    TEST(bad_logs_are_refused),
    TEST(copies_are_whole_and_their_own),
    TEST(guards_keep_leaders_and_let_specialists_go),
    TEST(guards_are_what_leaving_a_fifth_out_tells),
    TEST(guards_do_not_depend_on_order_or_threads),
    TEST(guards_have_edges),
};

int main(int argc, char **argv)
{
    const char *quick = getenv("LOCUS_TEST_QUICK"), *seed = getenv("LOCUS_TEST_SEED");
    size_t i, passed = 0, failed = 0;
    g_quick = quick && quick[0] && quick[0] != '0';
    if (seed) g_seed = (uint64_t)strtoul(seed, NULL, 10);
    for (i = 0; i < COUNT(tests); i++) {
        clock_t start = clock();
        long blocks;
        if (argc > 1 && !strstr(tests[i].name, argv[1])) continue;
        threads_stop();
        blocks = g_blocks;
        g_test = tests[i].name;
        g_context[0] = 0;
        g_failures = 0;
        tests[i].run();
        threads_stop();
        g_context[0] = 0;
        if (g_blocks != blocks)
            failure(__LINE__, "expected all memory released, found %ld blocks left", g_blocks - blocks);
        if (g_failures > 8) printf("  ... %zu checks failed in %s\n", g_failures, g_test);
        printf("%s %s (%.2f s)\n", g_failures ? "FAIL" : "ok  ", tests[i].name,
               (double)(clock() - start) / CLOCKS_PER_SEC);
        fflush(stdout);
        if (g_failures) failed++;
        else passed++;
    }
    printf("%zu checks\n%zu passed, %zu failed\n", g_checks, passed, failed);
    return failed || !passed ? 1 : 0;
}
