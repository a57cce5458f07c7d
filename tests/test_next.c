// SPDX-License-Identifier: MIT
// Tests of what to evaluate next, of completed evaluations, of known answers in profiles and of the items in a pool's
// memory: against a judge in double precision that is written from the comments of locus.h alone (kernels, Newton's
// method, full inverses, every candidate tried out), against known truths, and against the promises of locus.h.
//
//     cc -O2 tests/test_next.c -o build/test_next -lm -lpthread && build/test_next [part of a name]
//
// LOCUS_TEST_QUICK=1: fewer cases. LOCUS_TEST_SEED: another seed for the random cases.

#define TEST_FILE "test_next.c"
#define TEST_INSIDE
#include "harness.h"

// ---------------------------------------------------------------------------------------------------- fixtures

// Models and queries that follow the item-response model: a query has a difficulty and a slope, both told in part by
// the topic that its encoding shows; a model has an ability.
typedef struct world {
    ref_net ref;
    raw_file *raw;
    locus_net *net;
    locus_pool *pool;
    size_t D, M, anchors, n;
    float *anchor, *scores; // [anchors, D], [M, anchors]
    float *enc, *asked;     // [n, D], [n] NaN: not yet
    double *slope, *hard;   // [n] of the rows
    locus_evals pool_evals, evals;
} world;

enum { Q = 12, TOPICS = 6 };

static locus_evals evals_of(const float *enc, size_t n, const float *scores)
{
    locus_evals e;
    ZERO(e);
    e.queries = queries_of(enc, n, Q);
    e.scores.models = 1;
    e.scores.f32 = scores;
    return e;
}

static locus_status encode(const locus_net *net, const locus_evals *evals, float *z)
{
    return locus_encode(net, evals, z, LOCUS_ENCODE_AUTO, NULL, &g_err);
}

static double logistic(double x) { return 1.0 / (1.0 + exp(-x)); }

// landmarks: of the memory; 0: the pool has none. Three rows in four are anchors, which the memory has seen.
static int world_make(world *w, size_t M, size_t anchors, size_t landmarks, size_t n, locus_isa isa, uint64_t seed)
{
    locus_run opts;
    locus_learn_opts memory;
    ref_rng g;
    float *centre, *z;
    double *slope, *hard;
    size_t i, j, c;
    ZERO(*w);
    ZERO(opts);
    ZERO(memory);
    opts.isa = isa;
    g.state = seed * 77 + g_seed;
    w->D = Q, w->M = M, w->anchors = anchors, w->n = n;
    ref_init(&w->ref, Q, 16, 2, 2, 5, 12, 0, 2, seed);
    w->raw = raw_from_net(&w->ref);
    if (!CHECK_STATUS(LOCUS_OK, raw_create(w->raw, &opts, &w->net))) return 0;
    centre = normals(TOPICS * Q, 0.5, seed + 1);
    w->anchor = normals((anchors + n) * Q, 0.2, seed + 2);
    w->scores = floats(M * anchors);
    w->asked = floats(n);
    z = floats(M * 16);
    slope = ref_alloc(anchors + n), hard = ref_alloc(anchors + n);
    for (i = 0; i < anchors + n; i++) {
        for (c = 0; c < Q; c++) w->anchor[i * Q + c] += centre[i % TOPICS * Q + c];
        slope[i] = exp(0.6 * ref_normal(&g));
        hard[i] = 0.4 * (double)(i % TOPICS) - 1.0 + 1.8 * ref_normal(&g);
    }
    w->enc = floats(n * Q);
    w->slope = ref_alloc(n), w->hard = ref_alloc(n);
    for (i = 0; i < n; i++) {
        const size_t from = i % 4 == 3 || i >= anchors ? anchors + i : i;
        memcpy(w->enc + i * Q, w->anchor + from * Q, Q * sizeof(float));
        w->slope[i] = slope[from], w->hard[i] = hard[from];
        w->asked[i] = f_nan();
    }
    for (j = 0; j < M; j++) {
        const double ability = 1.1 * ref_normal(&g);
        for (i = 0; i < anchors; i++)
            w->scores[j * anchors + i] = ref_uniform(&g) < logistic(slope[i] * (ability - hard[i])) ? 1.0f : 0.0f;
    }
    w->pool_evals = evals_of(w->anchor, anchors, w->scores);
    w->pool_evals.scores.models = M;
    CHECK_STATUS(LOCUS_OK, encode(w->net, &w->pool_evals, z));
    w->pool = pool_of(w->net, z, M);
    memory.unlabelled = queries_of(w->anchor, landmarks, Q);
    if (landmarks) CHECK_STATUS(LOCUS_OK, learn_recall(w->pool, &w->pool_evals, &memory, &g_err));
    w->evals = evals_of(w->enc, n, w->asked);
    free(centre), free(z), free(slope), free(hard);
    return w->pool != NULL;
}

static void world_free(world *w)
{
    locus_pool_destroy(w->pool);
    locus_net_destroy(w->net);
    raw_free(w->raw);
    ref_free(&w->ref);
    free(w->anchor), free(w->scores), free(w->enc), free(w->asked), free(w->slope), free(w->hard);
}

enum { ANSWERS, FRACTIONS };

// Answers to `count` rows more, drawn for a model of this ability.
static void answer(world *w, double ability, size_t count, int kind, uint64_t seed)
{
    ref_rng g;
    g.state = seed + g_seed;
    while (count) {
        const size_t i = ref_range(&g, 0, w->n - 1);
        if (w->asked[i] >= 0.0f) continue;
        w->asked[i] = ref_uniform(&g) < logistic(w->slope[i] * (ability - w->hard[i])) ? 1.0f : 0.0f;
        if (kind == FRACTIONS && count % 2) w->asked[i] = (float)ref_uniform(&g);
        count--;
    }
}

// ---------------------------------------------------------------------------------------------------- the judge

typedef struct judge {
    size_t n, p;
    double *x, *offset, *score, *own, *chance, *precision, *inverse;
} judge;

// out <- the inverse of a positive definite a [n, n], by elimination
static void invert(const double *a, size_t n, double *out)
{
    double *m = ref_alloc(n * n);
    size_t i, j, k;
    memcpy(m, a, n * n * sizeof(double));
    for (i = 0; i < n * n; i++) out[i] = i % (n + 1) ? 0.0 : 1.0;
    for (k = 0; k < n; k++) {
        const double pivot = m[k * n + k];
        for (j = 0; j < n; j++) m[k * n + j] /= pivot, out[k * n + j] /= pivot;
        for (i = 0; i < n; i++) {
            const double f = m[i * n + k];
            if (i == k || f == 0.0) continue;
            for (j = 0; j < n; j++) m[i * n + j] -= f * m[k * n + j], out[i * n + j] -= f * out[k * n + j];
        }
    }
    free(m);
}

static double quadratic(const double *a, const double *x, size_t n)
{
    double sum = 0.0;
    size_t i, j;
    for (i = 0; i < n; i++)
        for (j = 0; j < n; j++) sum += x[i] * a[i * n + j] * x[j];
    return sum;
}

static double limited(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

static double kernel(const double *a, const double *b, size_t n)
{
    double dot = 0.0, far = 0.0, e;
    size_t i;
    for (i = 0; i < n; i++) dot += a[i] * b[i], far += (a[i] - b[i]) * (a[i] - b[i]);
    e = exp(-far);
    return (dot + e + e * e * e) / 3.0;
}

static double judge_log_posterior(const judge *g, const double *own)
{
    double sum = 0.0;
    size_t i, c;
    for (c = 0; c < g->p; c++) sum -= 0.5 * own[c] * own[c];
    for (i = 0; i < g->n; i++) {
        double logit = g->offset[i];
        if (g->score[i] < 0.0) continue;
        for (c = 0; c < g->p; c++) logit += own[c] * g->x[i * g->p + c];
        sum += g->score[i] * logit - (logit > 0.0 ? logit + log(1.0 + exp(-logit)) : log(1.0 + exp(logit)));
    }
    return sum;
}

// chance and precision at `own`
static void judge_look(judge *g)
{
    size_t i, c, k;
    for (c = 0; c < g->p * g->p; c++) g->precision[c] = c % (g->p + 1) ? 0.0 : 1.0;
    for (i = 0; i < g->n; i++) {
        const double *x = g->x + i * g->p;
        double logit = g->offset[i], b;
        for (c = 0; c < g->p; c++) logit += g->own[c] * x[c];
        g->chance[i] = logistic(logit);
        b = g->chance[i] * (1.0 - g->chance[i]);
        if (g->score[i] < 0.0) continue;
        for (c = 0; c < g->p; c++)
            for (k = 0; k < g->p; k++) g->precision[c * g->p + k] += b * x[c] * x[k];
    }
}

// The kernels of encodings [n, Q] with the pool's landmarks, all from the memory's plain tensors.
static double *judge_kernels(const locus_pool *pool, const float *enc, size_t n, double **landmark_out)
{
    const locusi_recall *m = &pool->memory;
    const size_t P = m->landmarks, R = m->rank;
    double *landmark = ref_alloc(P * R), *x = ref_alloc(R), *kernels = ref_alloc(n * P);
    size_t i, c, k;
    for (i = 0; i < P * R; i++) landmark[i] = (double)m->points[i];
    for (i = 0; i < n; i++) {
        for (c = 0; c < R; c++) {
            x[c] = (double)m->map_bias[c];
            for (k = 0; k < Q; k++) x[c] += (double)m->map[c / 16 * 16 * Q + 16 * k + c % 16] * (double)enc[i * Q + k];
        }
        for (c = 0; c < P; c++) kernels[i * P + c] = kernel(x, landmark + c * R, R);
    }
    free(x);
    if (landmark_out) *landmark_out = landmark;
    else free(landmark);
    return kernels;
}

static double deviation_of(double mean) { return sqrt(mean * (1.0 - mean) > 0.05 ? mean * (1.0 - mean) : 0.05); }

static double told(const locusi_recall *m, const double *kernels) // the difficulty that an encoding tells
{
    double sum = 0.0;
    size_t c;
    for (c = 0; c < m->landmarks; c++) sum += (double)m->shared[c] * kernels[c];
    return sum;
}

// What sets a new model apart has covariance own (rest K + sum_d direction_d direction_d'), K the landmarks' kernels
// after Nystroem: as features, K's root and beside it the directions themselves.
static void judge_open(judge *g, const locus_pool *pool, const locus_evals *e)
{
    const locusi_recall *m = &pool->memory;
    const size_t P = m->landmarks, n = e->queries.count, ways = m->directions, p = P + ways + 1;
    const double deviation = deviation_of(m->mean), scale = sqrt(m->own) / deviation;
    const double plain = ways ? sqrt(m->rest) : 1.0;
    const double spread = m->spread > 0.0 ? m->spread : 0.6;
    const double centre = m->spread > 0.0 ? m->ability : log(m->mean / (1.0 - m->mean));
    double *landmark, *kernels = judge_kernels(pool, e->queries.encodings, n, &landmark), *root = ref_alloc(P * P);
    size_t i, j, c, round;
    g->n = n, g->p = p;
    g->x = ref_alloc(n * p), g->offset = ref_alloc(n), g->score = ref_alloc(n), g->chance = ref_alloc(n);
    g->own = ref_alloc(p), g->precision = ref_alloc(p * p), g->inverse = ref_alloc(p * p);
    for (i = 0; i < P; i++) // the root of the landmarks' kernel matrix, row by row
        for (j = 0; j <= i; j++) {
            double sum = kernel(landmark + i * m->rank, landmark + j * m->rank, m->rank) + (i == j ? 1e-4 : 0.0);
            for (c = 0; c < j; c++) sum -= root[i * P + c] * root[j * P + c];
            root[i * P + j] = i == j ? sqrt(sum) : sum / root[j * P + j];
        }
    for (i = 0; i < n; i++) {
        const size_t place = locusi_recall_place(m, e->queries.encodings + i * Q);
        double slope = 1.0, intercept, *x = g->x + i * p;
        if (place == SIZE_MAX) intercept = told(m, kernels + i * P) / deviation;
        else if (m->spread > 0.0) {
            slope = limited((double)m->items[2 * place], 0.05, 20.0);
            intercept = (double)m->items[2 * place + 1];
        } else intercept = (double)m->difficulty[place] / deviation;
        g->offset[i] = limited(intercept, -30.0, 30.0) + slope * centre;
        for (j = 0; j < P; j++) {
            x[j] = kernels[i * P + j];
            for (c = 0; c < j; c++) x[j] -= root[j * P + c] * x[c];
            x[j] /= root[j * P + j];
        }
        for (j = 0; j < P; j++) x[j] *= scale * plain;
        for (j = 0; j < ways; j++)
            for (c = 0; c < P; c++) x[P + j] += scale * (double)m->direction[j * P + c] * kernels[i * P + c];
        x[p - 1] = slope * spread;
        g->score[i] = e->scores.f32            ? (double)e->scores.f32[i]
                      : e->scores.u8[i] == 255 ? -1.0
                      : e->scores.u8[i]        ? 1.0
                                               : 0.0;
        if (!(g->score[i] >= 0.0)) g->score[i] = -1.0;
    }
    memset(g->own, 0, p * sizeof(double));
    for (round = 0; round < 200; round++) { // Newton, halved where the posterior would fall
        double *slopes = ref_alloc(p), *to = ref_alloc(p), moved = 0.0, before, part;
        judge_look(g);
        invert(g->precision, p, g->inverse);
        for (c = 0; c < p; c++) slopes[c] = -g->own[c];
        for (i = 0; i < n; i++)
            for (c = 0; c < p && g->score[i] >= 0.0; c++) slopes[c] += (g->score[i] - g->chance[i]) * g->x[i * p + c];
        before = judge_log_posterior(g, g->own);
        for (part = 1.0; part > 1e-6; part /= 2.0) {
            for (c = 0; c < p; c++) {
                to[c] = g->own[c];
                for (j = 0; j < p; j++) to[c] += part * g->inverse[c * p + j] * slopes[j];
            }
            if (judge_log_posterior(g, to) >= before) break;
        }
        for (c = 0; c < p; c++) moved += fabs(to[c] - g->own[c]);
        if (part > 1e-6) memcpy(g->own, to, p * sizeof(double));
        free(slopes), free(to);
        if (moved < 1e-9) break;
    }
    judge_look(g);
    invert(g->precision, p, g->inverse);
    free(kernels), free(landmark), free(root);
}

static void judge_close(judge *g)
{
    free(g->x), free(g->offset), free(g->score), free(g->own), free(g->chance), free(g->precision), free(g->inverse);
}

static double curvature(const judge *g, size_t i) { return g->chance[i] * (1.0 - g->chance[i]); }

static void judge_add(const judge *g, double *precision, size_t at) // as if row `at` were answered
{
    size_t c, k;
    for (c = 0; c < g->p; c++)
        for (k = 0; k < g->p; k++)
            precision[c * g->p + k] += curvature(g, at) * g->x[at * g->p + c] * g->x[at * g->p + k];
}

// The weighted mean over all rows of the squared error of the chances.
static double judge_error(const judge *g, const double *inverse, const double *importance)
{
    double sum = 0.0, weights = 0.0;
    size_t i;
    for (i = 0; i < g->n; i++) {
        sum += importance[i] * curvature(g, i) * curvature(g, i) * quadratic(inverse, g->x + i * g->p, g->p);
        weights += importance[i];
    }
    return sum / weights;
}

static void judge_importance(const judge *g, const locus_pool *pool, const locus_queries *q, int routing, double *out)
{
    const size_t M = locus_pool_count(pool);
    float *logits = floats(g->n * M + 1);
    size_t i, m;
    if (routing && M) CHECK_STATUS(LOCUS_OK, predict(pool, q, logits, NULL));
    for (i = 0; i < g->n; i++) {
        double best = 0.0, b = curvature(g, i), other;
        out[i] = 1.0;
        if (!routing || !M) continue;
        for (m = 0; m < M; m++) {
            other = logistic((double)logits[i * M + m]);
            if (locus_pool_model(pool, m)->available && other > best) best = other;
        }
        other = (best - g->chance[i]) / sqrt(b * b * quadratic(g->inverse, g->x + i * g->p, g->p) + 0.01);
        out[i] = 0.5 * erfc(other / sqrt(2.0));
    }
    free(logits);
}

static locus_status completed_evaluations(const locus_pool *pool, const locus_evals *e, float *chances,
                                          unsigned char *answers)
{
    locus_next_opts o;
    ZERO(o);
    o.chances = chances;
    o.answers = answers;
    return locus_next_evaluations(pool, e, &o, NULL, NULL, NULL, &g_err);
}

// All that locus_next_evaluations says, against the judge.
static void check_next(const locus_pool *pool, const locus_evals *e, const locus_next_opts *opts)
{
    const size_t n = e->queries.count, batch = opts->batch ? opts->batch : 1;
    size_t *picks = (size_t *)xmalloc((batch + 1) * sizeof *picks), i, k, c, left = 0;
    double *importance = ref_alloc(n), *precision, *trial, *inverse, mean = 0.0, variance = 0.0, *u, total = 0.0;
    double error, start, first = 0.0, *ones = ref_alloc(n);
    locus_next out;
    judge g;
    picks[batch] = 4711;
    judge_open(&g, pool, e);
    precision = ref_alloc(g.p * g.p), trial = ref_alloc(g.p * g.p), inverse = ref_alloc(g.p * g.p), u = ref_alloc(g.p);
    memset(u, 0, g.p * sizeof(double));
    for (i = 0; i < n; i++) {
        const double b = curvature(&g, i);
        ones[i] = 1.0;
        left += (size_t)(g.score[i] < 0.0 && (!opts->available || opts->available[i]));
        mean += (g.score[i] < 0.0 ? g.chance[i] : g.score[i]) / (double)n;
        if (g.score[i] >= 0.0) continue;
        variance += b / (double)n / (double)n;
        for (c = 0; c < g.p; c++) u[c] += b * g.x[i * g.p + c] / (double)n;
    }
    variance += quadratic(g.inverse, u, g.p);
    CHECK_MEMORY(locus_next_evaluations(pool, e, opts, picks, &out, &g_run, &g_err));
    if (!CHECK_STATUS(LOCUS_OK, locus_next_evaluations(pool, e, opts, picks, &out, NULL, &g_err))) return;
    CHECK_SIZE(4711, picks[batch]);
    CHECK_SIZE(batch < left ? batch : left, out.count);
    CHECK_NEAR(mean, out.accuracy.value, 1e-4);
    CHECK_NEAR(limited(mean - 1.6449 * sqrt(variance), 0.0, 1.0), out.accuracy.low, 2e-4);
    CHECK_NEAR(limited(mean + 1.6449 * sqrt(variance), 0.0, 1.0), out.accuracy.high, 2e-4);
    CHECK_NEAR(sqrt(judge_error(&g, g.inverse, ones)), out.error, 1e-3 * out.error);
    judge_importance(&g, pool, &e->queries, opts->for_routing, importance);
    memcpy(precision, g.precision, g.p * g.p * sizeof(double));
    error = start = judge_error(&g, g.inverse, importance);
    for (k = 0; k < out.count; k++) {
        double most = -1.0, taken = -1.0;
        for (i = 0; i < n; i++) {
            double gain;
            if (g.score[i] >= 0.0 || (opts->available && !opts->available[i])) continue;
            memcpy(trial, precision, g.p * g.p * sizeof(double));
            judge_add(&g, trial, i);
            invert(trial, g.p, inverse);
            gain = error - judge_error(&g, inverse, importance);
            if (gain > most) most = gain;
            if (i == picks[k]) taken = gain;
        }
        if (!CHECK(taken >= 0.0)) break; // asked before, or not to be asked
        if (!CHECK(taken >= most * (1.0 - 1e-3)))
            failure(__LINE__, "pick %zu of %zu: row %zu gains %.6g, another %.6g", k, out.count, picks[k], taken, most);
        if (k == 0) first = taken;
        total += taken;
        g.score[picks[k]] = 0.5;
        judge_add(&g, precision, picks[k]);
        invert(precision, g.p, inverse);
        error = judge_error(&g, inverse, importance);
    }
    CHECK_NEAR(total, out.gain, 2e-3 * total);
    if (fabs(first - 0.01 * start) > 1e-3 * first) CHECK_SIZE(first < 0.01 * start, (size_t)out.enough);
    judge_close(&g);
    free(picks), free(importance), free(precision), free(trial), free(inverse), free(u), free(ones);
}

static void check_completed(const locus_pool *pool, const locus_evals *e)
{
    const size_t n = e->queries.count;
    float *chances = floats(n), *alone = floats(n);
    unsigned char *answers = (unsigned char *)xmalloc(n);
    double sum = 0.0, worst_error = 0.0;
    size_t i, ones = 0;
    judge g;
    judge_open(&g, pool, e);
    CHECK_STATUS(LOCUS_OK, completed_evaluations(pool, e, chances, answers));
    CHECK_STATUS(LOCUS_OK, completed_evaluations(pool, e, alone, NULL));
    CHECK_SAME("chances without answers", chances, alone, n);
    for (i = 0; i < n; i++) {
        if (g.score[i] >= 0.0) {
            CHECK(fabs(g.score[i] - (double)chances[i]) == 0.0);
            if (g.score[i] == 0.0 || g.score[i] == 1.0) CHECK_SIZE((size_t)g.score[i], answers[i]);
        } else if (!(fabs(g.chance[i] - (double)chances[i]) <= worst_error)) {
            worst_error = fabs(g.chance[i] - (double)chances[i]);
        }
        CHECK(answers[i] <= 1);
        sum += (double)chances[i];
        ones += answers[i];
    }
    CHECK_NEAR(0.0, worst_error, 1e-4);
    CHECK_NEAR(sum, (double)ones, 0.5 + 1e-9);
    judge_close(&g);
    free(chances), free(alone), free(answers);
}

// ---------------------------------------------------------------------------------------------------- against the
// judge

static void picks_are_the_best_of_all(void)
{
    static const size_t asked[] = {0, 5, 20, 36};
    size_t k;
    int isa, routing;
    for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
        if (!locus_isa_supported((locus_isa)isa)) continue;
        for (k = 0; k < COUNT(asked); k++)
            for (routing = 0; routing < 2; routing++) {
                world w;
                locus_next_opts o;
                unsigned char available[40];
                size_t i;
                if (g_quick && (size_t)(isa + routing) % 2 != k % 2) continue;
                context("isa %d, %zu asked, routing %d", isa, asked[k], routing);
                if (!world_make(&w, 6, 50, 30, 40, (locus_isa)isa, 2 * k + 1)) return;
                answer(&w, 1.0 - (double)k, asked[k], k == 2 ? FRACTIONS : ANSWERS, k);
                ZERO(o);
                o.batch = k == 3 ? 9 : k == 0 ? 0 : 3; // 3: more than are left
                o.for_routing = routing;
                for (i = 0; i < 40; i++) available[i] = (unsigned char)(i % 3 ? 2 : 0);
                if (k == 1) o.available = available;
                if (routing) w.pool->models[0].available = 0;
                check_next(w.pool, &w.evals, &o);
                check_completed(w.pool, &w.evals);
                world_free(&w);
            }
    }
}

static void large_memories_and_sets(void)
{
    world w;
    locus_next_opts o;
    ZERO(o);
    if (!world_make(&w, 5, 80, 100, 90, LOCUS_ISA_AUTO, 9)) return;
    answer(&w, 0.5, 30, ANSWERS, 3);
    check_completed(w.pool, &w.evals);
    check_next(w.pool, &w.evals, &o);
    world_free(&w);
}

// Where the start is far from the mode the search must get there, too.
static void modes_far_off_are_found(void)
{
    size_t kind, i;
    for (kind = 0; kind < 8; kind++) {
        world w;
        context("kind %zu", kind);
        if (!world_make(&w, 6, 120, 16, kind < 4 ? 150 : 500, LOCUS_ISA_AUTO, 21 + kind)) return;
        for (i = 0; i < w.n; i++)
            if (i % 10) w.asked[i] = kind % 4 == 0 ? 1.0f : kind % 4 == 1 ? 0.0f : (float)(i % 7 > 0);
        if (kind % 4 == 3) { // all hopeless for the mean model, and yet answered
            w.pool->memory.ability = -6.0;
            w.pool->memory.spread = 4.0;
        }
        check_completed(w.pool, &w.evals);
        world_free(&w);
    }
}

static void single_rows_and_small_pools(void)
{
    size_t n, M;
    for (M = 1; M < 3; M++)
        for (n = 1; n < 4; n++) {
            world w;
            locus_next_opts o;
            ZERO(o);
            o.batch = 2;
            o.for_routing = 1;
            context("%zu rows, %zu models", n, M);
            if (!world_make(&w, M, 20, 1, n, LOCUS_ISA_AUTO, 31 + n)) return;
            check_next(w.pool, &w.evals, &o);
            check_completed(w.pool, &w.evals);
            while (locus_pool_count(w.pool)) CHECK_STATUS(LOCUS_OK, locus_pool_remove(w.pool, 0, &g_err));
            check_next(w.pool, &w.evals, &o); // the memory is left
            world_free(&w);
        }
}

static void strides_bytes_and_copies_of_rows(void)
{
    world w;
    locus_next_opts o;
    locus_evals e;
    locus_next a, b;
    size_t pa[4], pb[4], i;
    float *wide, *x, *y;
    unsigned char bytes[30];
    ZERO(o);
    o.batch = 4;
    if (!world_make(&w, 5, 40, 16, 30, LOCUS_ISA_AUTO, 41)) return;
    answer(&w, 0.0, 8, ANSWERS, 1);
    for (i = 20; i < 30; i++) memcpy(w.enc + i * Q, w.enc, Q * sizeof(float)); // one query eleven times
    check_next(w.pool, &w.evals, &o);
    check_completed(w.pool, &w.evals);
    wide = normals(30 * (Q + 5), 1e30, 2);
    x = floats(30), y = floats(30);
    for (i = 0; i < 30; i++) {
        memcpy(wide + i * (Q + 5), w.enc + i * Q, Q * sizeof(float));
        bytes[i] = (unsigned char)(w.asked[i] >= 0.0f ? w.asked[i] > 0.5f : 255);
    }
    e = w.evals;
    e.queries.encodings = wide;
    e.queries.stride = Q + 5;
    e.scores.f32 = NULL;
    e.scores.u8 = bytes;
    CHECK_STATUS(LOCUS_OK, locus_next_evaluations(w.pool, &w.evals, &o, pa, &a, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_next_evaluations(w.pool, &e, &o, pb, &b, NULL, &g_err));
    CHECK(!memcmp(pa, pb, sizeof pa) && !memcmp(&a, &b, sizeof a));
    CHECK_STATUS(LOCUS_OK, completed_evaluations(w.pool, &w.evals, x, NULL));
    CHECK_STATUS(LOCUS_OK, completed_evaluations(w.pool, &e, y, NULL));
    CHECK_SAME("chances", x, y, 30);
    free(wide), free(x), free(y);
    world_free(&w);
}

// ---------------------------------------------------------------------------------------------------- properties

static void rows_may_be_in_any_order(void)
{
    world w;
    locus_next_opts o;
    locus_next a, b;
    size_t pa[6], pb[6], order[60], i;
    float enc[60 * Q], asked[60];
    locus_evals e;
    ref_rng g;
    ZERO(o);
    o.batch = 6;
    g.state = 5 + g_seed;
    if (!world_make(&w, 6, 60, 32, 60, LOCUS_ISA_AUTO, 51)) return;
    answer(&w, 0.3, 17, ANSWERS, 2);
    for (i = 0; i < 60; i++) order[i] = i;
    for (i = 59; i > 0; i--) {
        const size_t j = ref_range(&g, 0, i), t = order[i];
        order[i] = order[j], order[j] = t;
    }
    for (i = 0; i < 60; i++) {
        memcpy(enc + i * Q, w.enc + order[i] * Q, Q * sizeof(float));
        asked[i] = w.asked[order[i]];
    }
    e = evals_of(enc, 60, asked);
    CHECK_STATUS(LOCUS_OK, locus_next_evaluations(w.pool, &w.evals, &o, pa, &a, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_next_evaluations(w.pool, &e, &o, pb, &b, NULL, &g_err));
    for (i = 0; i < 6; i++) CHECK_SIZE(pa[i], order[pb[i]]);
    CHECK_NEAR(a.accuracy.value, b.accuracy.value, 1e-5);
    CHECK_NEAR(a.error, b.error, 1e-5);
    CHECK_NEAR(a.gain, b.gain, 1e-4 * a.gain);
    world_free(&w);
}

static void the_same_again_gives_the_same_bits(void)
{
    world w;
    locus_next_opts o;
    locus_next a, b;
    size_t pa[5], pb[5];
    float x[50], y[50];
    unsigned char s[50], t[50];
    ZERO(o);
    o.batch = 5;
    if (!world_make(&w, 6, 60, 32, 50, LOCUS_ISA_AUTO, 61)) return;
    answer(&w, 0.3, 10, FRACTIONS, 2);
    memset(&a, 1, sizeof a), memset(&b, 2, sizeof b);
    CHECK_STATUS(LOCUS_OK, locus_next_evaluations(w.pool, &w.evals, &o, pa, &a, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, completed_evaluations(w.pool, &w.evals, x, s));
    CHECK_STATUS(LOCUS_OK, locus_next_evaluations(w.pool, &w.evals, &o, pb, &b, NULL, &g_err)); // again: the same bits
    CHECK(!memcmp(pa, pb, sizeof pa));
    CHECK(!memcmp(&a, &b, sizeof a));
    CHECK_STATUS(LOCUS_OK, completed_evaluations(w.pool, &w.evals, y, t));
    CHECK_SAME("chances", x, y, 50);
    CHECK(!memcmp(s, t, sizeof s));
    CHECK_STATUS(LOCUS_OK, locus_next_evaluations(w.pool, &w.evals, NULL, pb, &b, NULL, &g_err)); // no opts: one
    CHECK_SIZE(1, b.count);
    CHECK_SIZE(pa[0], pb[0]);
    world_free(&w);
}

static void answers_teach_until_it_is_enough(void)
{
    world w;
    locus_next_opts o;
    locus_next out, before;
    size_t picks[8], i, k, asked = 0, enough = 0;
    double at_first = 0.0;
    ref_rng g;
    ZERO(o);
    ZERO(before);
    ZERO(out);
    g.state = 3 + g_seed;
    o.batch = 8;
    if (!world_make(&w, 12, 160, 32, 160, LOCUS_ISA_AUTO, 71)) return;
    while (asked < 160) {
        if (!CHECK_STATUS(LOCUS_OK, locus_next_evaluations(w.pool, &w.evals, &o, picks, &out, NULL, &g_err))) break;
        CHECK(out.accuracy.low <= out.accuracy.value && out.accuracy.value <= out.accuracy.high);
        CHECK(out.accuracy.low >= 0.0 && out.accuracy.high <= 1.0);
        CHECK(out.gain >= 0.0 && out.gain <= out.error * out.error * 1.001);
        if (asked) { // chances move, so that no step is certain to be down: nearly
            CHECK(out.error < before.error * 1.1);
            CHECK(out.gain < before.gain * 1.5);
            CHECK(out.accuracy.high - out.accuracy.low < (before.accuracy.high - before.accuracy.low) * 1.1);
        }
        if (out.enough && !enough) enough = asked;
        if (asked == 0) CHECK(!out.enough);
        for (k = 0; k < out.count; k++) {
            i = picks[k];
            if (!CHECK(i < 160 && !(w.asked[i] >= 0.0f))) return;
            w.asked[i] = ref_uniform(&g) < logistic(w.slope[i] * (0.6 - w.hard[i])) ? 1.0f : 0.0f;
        }
        asked += out.count;
        if (asked == 8) at_first = out.error;
        before = out;
    }
    CHECK(out.error < 0.6 * at_first);
    CHECK_SIZE(160, asked);
    CHECK(enough > 8 && enough < 160);
    CHECK_STATUS(LOCUS_ERR_NO_CANDIDATE, locus_next_evaluations(w.pool, &w.evals, &o, picks, &out, NULL, &g_err));
    CHECK_SIZE(0, out.count);
    {
        double mean = 0.0;
        for (i = 0; i < 160; i++) mean += (double)w.asked[i] / 160.0;
        CHECK_NEAR(mean, out.accuracy.value, 1e-9); // all known
        CHECK_NEAR(mean, out.accuracy.low, 1e-9);
        CHECK_NEAR(mean, out.accuracy.high, 1e-9);
    }
    check_completed(w.pool, &w.evals);
    world_free(&w);
}

// With a known truth: answers to chosen queries tell more of a model than answers to as many queries drawn at random.
static void chosen_answers_tell_more_than_random_ones(void)
{
    world w;
    const size_t models = trials(16), budget = 24;
    double squares[2] = {0.0, 0.0}, accuracy[2] = {0.0, 0.0}, covered = 0.0;
    size_t m, i, k, way;
    locus_next_opts o;
    ZERO(o);
    o.batch = 6;
    g_seed = 2026; // a fixed one: this is a measurement
    if (!world_make(&w, 30, 200, 32, 200, LOCUS_ISA_AUTO, 81)) return;
    for (m = 0; m < models; m++) {
        ref_rng g;
        double ability, truth = 0.0, *chance = ref_alloc(200);
        float *answers = floats(200), *found = floats(200);
        g.state = 1000 + m;
        ability = 1.1 * ref_normal(&g);
        for (i = 0; i < 200; i++) {
            chance[i] = logistic(w.slope[i] * (ability - w.hard[i]));
            answers[i] = ref_uniform(&g) < chance[i] ? 1.0f : 0.0f;
            truth += (double)answers[i] / 200.0;
        }
        for (way = 0; way < 2; way++) {
            size_t asked = 0, picks[6];
            locus_next out;
            for (i = 0; i < 200; i++) w.asked[i] = f_nan();
            while (asked < budget) {
                if (way) {
                    for (k = 0; k < 6; k++) {
                        do i = ref_range(&g, 0, 199);
                        while (w.asked[i] >= 0.0f);
                        w.asked[i] = answers[i];
                    }
                    asked += 6;
                    continue;
                }
                CHECK_STATUS(LOCUS_OK, locus_next_evaluations(w.pool, &w.evals, &o, picks, &out, NULL, &g_err));
                for (k = 0; k < out.count; k++) w.asked[picks[k]] = answers[picks[k]];
                asked += out.count;
            }
            CHECK_STATUS(LOCUS_OK, locus_next_evaluations(w.pool, &w.evals, NULL, picks, &out, NULL, &g_err));
            CHECK_STATUS(LOCUS_OK, completed_evaluations(w.pool, &w.evals, found, NULL));
            accuracy[way] += (out.accuracy.value - truth) * (out.accuracy.value - truth) / (double)models;
            if (!way) covered += (truth >= out.accuracy.low && truth <= out.accuracy.high) / (double)models;
            for (i = 0; i < 200; i++)
                if (!(w.asked[i] >= 0.0f))
                    squares[way] +=
                        ((double)found[i] - chance[i]) * ((double)found[i] - chance[i]) / 200.0 / (double)models;
        }
        free(chance), free(answers), free(found);
    }
    if (getenv("LOCUS_TEST_SHOW"))
        printf("  accuracy: %.4f chosen, %.4f random; chances %.4f, %.4f; covered %.2f\n", sqrt(accuracy[0]),
               sqrt(accuracy[1]), sqrt(squares[0]), sqrt(squares[1]), covered);
    CHECK(sqrt(accuracy[0]) < 0.8 * sqrt(accuracy[1]));
    CHECK(squares[0] < squares[1]);
    CHECK(covered >= 0.75);
    world_free(&w);
}

// ---------------------------------------------------------------------------------------------------- items

// The item-response fit by the judge: the same conditions, met to the last digit by many small steps.
static void items_meet_their_conditions(void)
{
    int gaps;
    for (gaps = 0; gaps < 2; gaps++) {
        world w;
        const size_t M = 9, n = 40;
        double *kernels, centre[40], s[40], c[40], a[9], mean = 0.0, variance = 0.0;
        size_t i, j, round;
        const locusi_recall *m;
        context("gaps %d", gaps);
        if (!world_make(&w, M, n, 16, 1, LOCUS_ISA_AUTO, 91)) return;
        for (i = 0; gaps && i < M * n; i += 7) w.scores[i] = i % 2 ? f_nan() : 0.4f;
        if (gaps) {
            locus_learn_opts o;
            ZERO(o);
            o.unlabelled = queries_of(w.anchor, 16, Q);
            CHECK_STATUS(LOCUS_OK, learn_recall(w.pool, &w.pool_evals, &o, &g_err));
        }
        m = &w.pool->memory;
        kernels = judge_kernels(w.pool, w.anchor, n, NULL);
        for (i = 0; i < n; i++) {
            centre[i] = told(m, kernels + i * m->landmarks) / deviation_of(m->mean);
            s[i] = 1.0, c[i] = 0.0;
        }
        for (j = 0; j < M; j++) a[j] = 0.0;
        for (round = 0; round < 20000; round++) { // plain gradient steps; c: the logit of the mean model
            for (mean = 0.0, j = 0; j < M; j++) mean += a[j] / (double)M;
            for (i = 0; i < n; i++) {
                double gc = -(c[i] - s[i] * mean - centre[i]) / 4.0, gs = -log(s[i]) / 0.09;
                for (j = 0; j < M; j++) {
                    const double y = (double)w.scores[j * n + i], p = logistic(s[i] * (a[j] - mean) + c[i]);
                    if (!(y >= 0.0)) continue;
                    gc += y - p;
                    gs += (y - p) * s[i] * (a[j] - mean);
                }
                c[i] += 0.2 * gc;
                s[i] *= exp(0.02 * gs);
            }
            for (j = 0; j < M; j++) {
                double g = (mean - a[j]) / 9.0;
                for (i = 0; i < n; i++) {
                    const double y = (double)w.scores[j * n + i], p = logistic(s[i] * (a[j] - mean) + c[i]);
                    if (y >= 0.0) g += s[i] * (y - p);
                }
                a[j] += 0.02 * g;
                for (i = 0; i < n; i++)
                    c[i] += 0.02 * g * s[i] / (double)M; // the mean has moved, the intercept has not
                mean += 0.02 * g / (double)M;
            }
        }
        for (j = 0; j < M; j++) variance += (a[j] - mean) * (a[j] - mean) / (double)M;
        CHECK_NEAR(sqrt(variance), m->spread, 0.02);
        CHECK_NEAR(mean, m->ability, 0.1); // only the intercepts' prior holds it: slow
        for (i = 0; i < n; i++) {
            const size_t place = locusi_recall_place(m, w.anchor + i * Q);
            if (!CHECK(place < n)) break;
            CHECK_NEAR(s[i], (double)m->items[2 * place], 0.01);
            CHECK_NEAR(c[i], (double)m->items[2 * place] * m->ability + (double)m->items[2 * place + 1], 0.02);
        }
        free(kernels);
        world_free(&w);
    }
}

static char *slurp(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    char *data;
    long size;
    *bytes = 0;
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);
    data = (char *)xmalloc((size_t)size);
    if (size > 0) *bytes = fread(data, 1, (size_t)size, f);
    fclose(f);
    return data;
}

// A pool from the lists of a file that was spoilt.
static locus_status load(const raw_file *raw, const locus_net *net, locus_pool **out)
{
    size_t bytes;
    unsigned char *data = raw_bytes(raw, &bytes);
    locus_safetensors st;
    locus_status status = locus_safetensors_parse(&st, data, bytes, NULL, &g_err);
    *out = NULL;
    if (!status) {
        status = locus_pool_load(out, net, &st, NULL, &g_err);
        locus_safetensors_close(&st);
    }
    free(data);
    return status;
}

static raw_file *saved(const world *w)
{
    const char *path = temp_path("items.safetensors");
    locus_safetensors st;
    raw_file *raw;
    CHECK_STATUS(LOCUS_OK, locus_pool_save(w->pool, path, LOCUS_SAVE_POOL, NULL, &g_err));
    if (!CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err))) return NULL;
    raw = raw_from_st(&st);
    locus_safetensors_close(&st);
    remove(path);
    return raw;
}

static float as_in_a_file(double x) // volatile: gcc 12 keeps two doubles side by side as they are
{
    volatile float y = (float)x;
    return y;
}

static void items_come_back_to_the_bit(void)
{
    world w;
    locus_pool *again = NULL, *old = NULL;
    raw_file *raw;
    raw_tensor *items;
    locus_next_opts o;
    locus_next a, b;
    size_t pa[5], pb[5], first, second, i;
    const char *one = temp_path("one.safetensors"), *two = temp_path("two.safetensors");
    char *x, *y;
    ZERO(o);
    o.batch = 5;
    if (!world_make(&w, 6, 50, 32, 40, LOCUS_ISA_AUTO, 101)) return;
    answer(&w, -0.5, 9, ANSWERS, 4);
    CHECK(w.pool->memory.spread > 0.0);
    CHECK_STATUS(LOCUS_OK, locus_pool_save(w.pool, one, LOCUS_SAVE_POOL, NULL, &g_err));
    if (!CHECK_STATUS(LOCUS_OK, locus_pool_open(&again, w.net, one, NULL, &g_err))) return;
    CHECK_STATUS(LOCUS_OK, locus_pool_save(again, two, LOCUS_SAVE_POOL, NULL, &g_err));
    x = slurp(one, &first), y = slurp(two, &second);
    CHECK(first > 0 && first == second && !memcmp(x, y, first));
    free(x), free(y);
    remove(one), remove(two);
    CHECK_SAME("items", w.pool->memory.items, again->memory.items, 100);
    CHECK(fabs((double)as_in_a_file(w.pool->memory.ability) - again->memory.ability) == 0.0);
    CHECK(fabs((double)as_in_a_file(w.pool->memory.spread) - again->memory.spread) == 0.0);
    CHECK_STATUS(LOCUS_OK, locus_next_evaluations(w.pool, &w.evals, &o, pa, &a, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_next_evaluations(again, &w.evals, &o, pb, &b, NULL, &g_err));
    for (i = 0; i < 5; i++) CHECK_SIZE(pa[i], pb[i]);
    CHECK_NEAR(a.accuracy.value, b.accuracy.value, 1e-6);
    raw = saved(&w);
    items = raw_find(raw, "memory.items");
    CHECK_SIZE(2, items->rank);
    CHECK_SIZE(51, items->shape[0]);
    CHECK_SIZE(2, items->shape[1]);
    for (i = 0; i < 100; i++) {
        unsigned char want[4];
        put_f32(want, w.pool->memory.items[i]);
        CHECK(!memcmp(want, items->data + 4 * i, 4));
    }
    raw_drop(raw, (size_t)(items - raw->t)); // a file of version 0.2
    if (CHECK_STATUS(LOCUS_OK, load(raw, w.net, &old))) {
        raw_file *without;
        locus_pool *keep = w.pool;
        CHECK(!(old->memory.spread > 0.0));
        check_next(old, &w.evals, &o);
        check_completed(old, &w.evals);
        w.pool = old;
        without = saved(&w);
        w.pool = keep;
        for (i = 0; i < without->count; i++) CHECK(strcmp(without->t[i].name, "memory.items") != 0);
        raw_free(without);
        CHECK_STATUS(LOCUS_OK, learn_recall(old, &w.pool_evals, NULL, &g_err)); // learned anew
        CHECK(old->memory.spread > 0.0);
    }
    raw_free(raw);
    locus_pool_destroy(old);
    locus_pool_destroy(again);
    world_free(&w);
}

static void a_router_without_encoder_is_enough(void)
{
    world w;
    locus_safetensors st, net_file;
    locus_net *net = NULL;
    locus_pool *pool = NULL;
    locus_next_opts o;
    locus_next a, b;
    size_t pa[4], pb[4], bytes;
    unsigned char *data;
    locus_run run;
    const char *path = temp_path("router.safetensors");
    float x[30], y[30];
    ZERO(o);
    o.batch = 4;
    o.for_routing = 1;
    if (!world_make(&w, 6, 50, 32, 30, LOCUS_ISA_AUTO, 111)) return;
    answer(&w, 0.5, 6, ANSWERS, 4);
    w.pool->memory.ability = (double)as_in_a_file(w.pool->memory.ability);
    w.pool->memory.spread = (double)as_in_a_file(w.pool->memory.spread);
    w.pool->memory.mean = (double)as_in_a_file(w.pool->memory.mean);
    data = raw_bytes(w.raw, &bytes);
    CHECK_STATUS(LOCUS_OK, locus_safetensors_parse(&net_file, data, bytes, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_save(w.pool, path, LOCUS_SAVE_ROUTER, &net_file, &g_err));
    locus_safetensors_close(&net_file);
    free(data);
    CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err));
    if (!CHECK_STATUS(LOCUS_OK, locus_net_create(&net, &st, NULL, &g_err))) return;
    CHECK(!locus_net_get_info(net).has_encoder);
    ZERO(run);
    CHECK_ROOM(&run, LOCUS_OK, locus_pool_load(&pool, net, &st, &run, &g_err));
    locus_safetensors_close(&st);
    remove(path);
    CHECK_STATUS(LOCUS_OK, locus_next_evaluations(w.pool, &w.evals, &o, pa, &a, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_next_evaluations(pool, &w.evals, &o, pb, &b, NULL, &g_err));
    CHECK(!memcmp(pa, pb, sizeof pa));
    CHECK(!memcmp(&a, &b, sizeof a));
    CHECK_STATUS(LOCUS_OK, completed_evaluations(w.pool, &w.evals, x, NULL));
    CHECK_STATUS(LOCUS_OK, completed_evaluations(pool, &w.evals, y, NULL));
    CHECK_SAME("chances", x, y, 30);
    locus_pool_destroy(pool);
    room_close(__LINE__, &run);
    locus_net_destroy(net);
    world_free(&w);
}

static void hostile_items_do_no_harm(void)
{
    static const struct {
        size_t rank, shape[2];
        const char *dtype;
        locus_status status;
    } shapes[] = {{2, {50, 2}, "F32", LOCUS_ERR_TENSOR},      {2, {52, 2}, "F32", LOCUS_ERR_TENSOR},
                  {2, {51, 3}, "F32", LOCUS_ERR_TENSOR},      {1, {102, 0}, "F32", LOCUS_ERR_TENSOR},
                  {1, {51, 0}, "F32", LOCUS_ERR_TENSOR},      {2, {0, 2}, "F32", LOCUS_ERR_TENSOR},
                  {2, {51, 2}, "F16", LOCUS_ERR_UNSUPPORTED}, {2, {51, 2}, "I32", LOCUS_ERR_UNSUPPORTED}};
    static const float numbers[] = {0.0f, -1.0f, 1e-30f, 9e11f, -9e11f, 25.0f, -1e6f};
    world w;
    raw_file *raw;
    raw_tensor *items;
    locus_pool *pool = NULL;
    locus_next_opts o;
    size_t i, k, j;
    ZERO(o);
    o.batch = 3;
    if (!world_make(&w, 6, 50, 16, 30, LOCUS_ISA_AUTO, 121)) return;
    answer(&w, 0.5, 12, ANSWERS, 4);
    raw = saved(&w);
    for (i = 0; i < COUNT(shapes); i++) {
        const size_t index = (size_t)(raw_find(raw, "memory.items") - raw->t);
        size_t cells = shapes[i].shape[0] * (shapes[i].rank == 2 ? shapes[i].shape[1] : 1);
        raw_tensor keep = raw->t[index];
        context("shape %zu", i);
        raw->t[index].rank = shapes[i].rank;
        raw->t[index].shape[0] = shapes[i].shape[0], raw->t[index].shape[1] = shapes[i].shape[1];
        snprintf(raw->t[index].dtype, sizeof raw->t[index].dtype, "%s", shapes[i].dtype);
        raw->t[index].bytes = cells * (strcmp(shapes[i].dtype, "F16") ? 4 : 2);
        raw->t[index].data = (unsigned char *)xmalloc(raw->t[index].bytes);
        memset(raw->t[index].data, 0, raw->t[index].bytes);
        CHECK_STATUS(shapes[i].status, load(raw, w.net, &pool));
        CHECK_MESSAGE("memory.items");
        CHECK(pool == NULL);
        free(raw->t[index].data);
        raw->t[index] = keep;
    }
    items = raw_find(raw, "memory.items");
    for (i = 0; i < 3; i++) {
        unsigned char keep[4];
        const size_t at = i == 0 ? 0 : i == 1 ? 57 : 101;
        const float bad[] = {f_nan(), f_inf(), 1e12f};
        context("bad number %zu", i);
        memcpy(keep, items->data + 4 * at, 4);
        put_f32(items->data + 4 * at, bad[i]);
        CHECK_STATUS(LOCUS_ERR_POOL, load(raw, w.net, &pool));
        CHECK_MESSAGE("memory.items");
        memcpy(items->data + 4 * at, keep, 4);
    }
    for (k = 0; k < COUNT(numbers); k++)
        for (i = 0; i < 4; i++) { // 0: slopes, 1: intercepts, 2: ability, 3: spread
            unsigned char keep[102 * 4];
            locus_status status;
            locus_next out;
            size_t picks[3];
            float chances[30];
            unsigned char answers[30];
            context("number %g in place %zu", (double)numbers[k], i);
            memcpy(keep, items->data, sizeof keep);
            for (j = 0; j < 50 && i < 2; j++) put_f32(items->data + 8 * j + 4 * i, numbers[k]);
            if (i >= 2) put_f32(items->data + 400 + 4 * (i - 2), numbers[k]);
            if (CHECK_STATUS(LOCUS_OK, load(raw, w.net, &pool))) {
                CHECK(fabs(pool->memory.ability) <= 20.0);
                CHECK(pool->memory.spread >= 0.1 && pool->memory.spread <= 10.0);
                status = locus_next_evaluations(pool, &w.evals, &o, picks, &out, NULL, &g_err);
                CHECK(status == LOCUS_OK || status == LOCUS_ERR_POOL);
                if (!status) {
                    CHECK(out.accuracy.value >= 0.0 && out.accuracy.value <= 1.0);
                    CHECK(out.error >= 0.0 && out.error < 10.0);
                    for (j = 0; j < out.count; j++) CHECK(picks[j] < 30 && !(w.asked[picks[j]] >= 0.0f));
                }
                status = completed_evaluations(pool, &w.evals, chances, answers);
                CHECK(status == LOCUS_OK || status == LOCUS_ERR_POOL);
                for (j = 0; j < 30 && !status; j++) CHECK(chances[j] >= 0.0f && chances[j] <= 1.0f);
                if (!status && fabs((double)numbers[k]) < 100.0) check_completed(pool, &w.evals);
                locus_pool_destroy(pool);
            }
            memcpy(items->data, keep, sizeof keep);
        }
    for (i = 0; i < 2; i++) { // all landmarks in one place; absurd ones
        raw_tensor *points = raw_find(raw, "memory.landmarks");
        locus_next out;
        size_t picks[3];
        float chances[30];
        locus_status status;
        context("landmarks %zu", i);
        for (j = 0; j < points->bytes / 4; j++) put_f32(points->data + 4 * j, i ? 9e11f : 0.0f);
        if (!CHECK_STATUS(LOCUS_OK, load(raw, w.net, &pool))) break;
        status = locus_next_evaluations(pool, &w.evals, &o, picks, &out, NULL, &g_err);
        CHECK(status == LOCUS_ERR_POOL || (!i && status == LOCUS_OK));
        status = completed_evaluations(pool, &w.evals, chances, NULL);
        CHECK(status == LOCUS_ERR_POOL || (!i && status == LOCUS_OK));
        locus_pool_destroy(pool);
    }
    raw_free(raw);
    world_free(&w);
}

// ---------------------------------------------------------------------------------------------------- errors

static void both(int line, locus_status expected, const locus_pool *pool, const locus_evals *e)
{
    size_t picks[8];
    float chances[64];
    unsigned char answers[64];
    locus_next out;
    g_err.message[0] = 0;
    check_status(line, "next", expected, locus_next_evaluations(pool, e, NULL, picks, &out, NULL, &g_err));
    g_err.message[0] = 0;
    check_status(line, "complete", expected, completed_evaluations(pool, e, chances, answers));
}

static void bad_arguments_are_refused(void)
{
    world w, bare;
    locus_evals e;
    locus_next out;
    locus_next_opts o;
    size_t picks[3];
    float x[20], spoilt[20 * Q];
    unsigned char available[20], bytes[20];
    if (!world_make(&w, 4, 20, 16, 20, LOCUS_ISA_AUTO, 131)) return;
    if (!world_make(&bare, 4, 20, 0, 20, LOCUS_ISA_AUTO, 131)) return;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_next_evaluations(NULL, &w.evals, NULL, picks, &out, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_next_evaluations(w.pool, NULL, NULL, picks, &out, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_next_evaluations(w.pool, &w.evals, NULL, NULL, &out, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_next_evaluations(w.pool, &w.evals, NULL, picks, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, completed_evaluations(NULL, &w.evals, x, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, completed_evaluations(w.pool, NULL, x, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, completed_evaluations(w.pool, &w.evals, NULL, NULL));
    both(__LINE__, LOCUS_OK, w.pool, &w.evals);
    both(__LINE__, LOCUS_ERR_ARGUMENT, bare.pool, &w.evals);
    CHECK_MESSAGE("recall");
    e = w.evals, e.scores.models = 0;
    both(__LINE__, LOCUS_ERR_ARGUMENT, w.pool, &e);
    e = w.evals, e.scores.models = 2;
    both(__LINE__, LOCUS_ERR_ARGUMENT, w.pool, &e);
    e = w.evals, e.scores.f32 = NULL;
    both(__LINE__, LOCUS_ERR_ARGUMENT, w.pool, &e);
    memset(bytes, 255, sizeof bytes);
    e = w.evals, e.scores.u8 = bytes;
    both(__LINE__, LOCUS_ERR_ARGUMENT, w.pool, &e);
    e = w.evals, e.queries.encodings = NULL;
    both(__LINE__, LOCUS_ERR_ARGUMENT, w.pool, &e);
    e = w.evals, e.queries.stride = Q - 1;
    both(__LINE__, LOCUS_ERR_ARGUMENT, w.pool, &e);
    e = w.evals, e.queries.dim = Q + 1;
    both(__LINE__, LOCUS_ERR_QUERY_DIM, w.pool, &e);
    e = w.evals, e.queries.count = 0;
    both(__LINE__, LOCUS_ERR_NO_CANDIDATE, w.pool, &e);
    w.asked[3] = 1.01f;
    both(__LINE__, LOCUS_ERR_SCORE, w.pool, &w.evals);
    CHECK_MESSAGE("scores[0, 3]");
    w.asked[3] = -0.01f;
    both(__LINE__, LOCUS_ERR_SCORE, w.pool, &w.evals);
    w.asked[3] = f_inf();
    both(__LINE__, LOCUS_ERR_SCORE, w.pool, &w.evals);
    w.asked[3] = f_nan();
    bytes[5] = 7;
    e = w.evals, e.scores.f32 = NULL, e.scores.u8 = bytes;
    both(__LINE__, LOCUS_ERR_SCORE, w.pool, &e);
    memcpy(spoilt, w.enc, sizeof spoilt);
    e = w.evals, e.queries.encodings = spoilt;
    spoilt[7 * Q + 2] = f_nan();
    both(__LINE__, LOCUS_ERR_NONFINITE, w.pool, &e);
    CHECK_MESSAGE("[7, 2]");
    spoilt[7 * Q + 2] = f_inf();
    both(__LINE__, LOCUS_ERR_NONFINITE, w.pool, &e);
    spoilt[7 * Q + 2] = 1e30f;
    both(__LINE__, LOCUS_ERR_NONFINITE, w.pool, &e);
    ZERO(o);
    memset(available, 0, sizeof available);
    o.available = available;
    o.batch = 3;
    CHECK_STATUS(LOCUS_ERR_NO_CANDIDATE, locus_next_evaluations(w.pool, &w.evals, &o, picks, &out, NULL, &g_err));
    CHECK_SIZE(0, out.count);
    available[4] = 1;
    CHECK_STATUS(LOCUS_OK, locus_next_evaluations(w.pool, &w.evals, &o, picks, &out, NULL, &g_err));
    CHECK_SIZE(1, out.count);
    CHECK_SIZE(4, picks[0]);
    w.asked[4] = 0.0f;
    CHECK_STATUS(LOCUS_ERR_NO_CANDIDATE, locus_next_evaluations(w.pool, &w.evals, &o, picks, &out, NULL, &g_err));
    o.batch = SIZE_MAX;
    memset(available, 0, sizeof available);
    available[6] = available[9] = 1;
    CHECK_STATUS(LOCUS_OK, locus_next_evaluations(w.pool, &w.evals, &o, picks, &out, NULL, &g_err));
    CHECK_SIZE(2, out.count);
    world_free(&w);
    world_free(&bare);
}

static void failing_allocations_leak_nothing(void)
{
    world w;
    size_t at, calls[2] = {0, 0}, persistent;
    if (!world_make(&w, 4, 30, 16, 20, LOCUS_ISA_AUTO, 141)) return;
    for (persistent = 0; persistent < 2; persistent++)
        for (at = 1; at < 60; at++) {
            const long blocks = g_blocks;
            size_t picks[3], which, done = 0;
            float chances[20];
            locus_next out;
            locus_next_opts o;
            ZERO(o);
            o.batch = 3;
            o.for_routing = 1;
            for (which = 0; which < 2; which++) {
                locus_status status;
                context("call %zu of %s", at, which ? "complete" : "next");
                g_failed_mallocs = 0;
                g_fail_persistent = persistent != 0;
                g_fail_at = at;
                status = which ? completed_evaluations(w.pool, &w.evals, chances, NULL)
                               : locus_next_evaluations(w.pool, &w.evals, &o, picks, &out, NULL, &g_err);
                g_fail_at = 0;
                g_fail_persistent = 0;
                CHECK_GOT(g_failed_mallocs ? LOCUS_ERR_MEMORY : LOCUS_OK, status);
                if (g_blocks != blocks) failure(__LINE__, "%ld blocks left", g_blocks - blocks);
                if (g_failed_mallocs) calls[which]++;
                else done++;
            }
            if (done == 2) break;
        }
    CHECK(calls[0] > 6 && calls[1] > 6);
    world_free(&w);
}

// ---------------------------------------------------------------------------------------------------- main

static const test_case tests[] = {
    TEST(picks_are_the_best_of_all),
    TEST(large_memories_and_sets),
    TEST(modes_far_off_are_found),
    TEST(single_rows_and_small_pools),
    TEST(strides_bytes_and_copies_of_rows),
    TEST(rows_may_be_in_any_order),
    TEST(the_same_again_gives_the_same_bits),
    TEST(answers_teach_until_it_is_enough),
    TEST(items_meet_their_conditions),
    TEST(items_come_back_to_the_bit),
    TEST(a_router_without_encoder_is_enough),
    TEST(hostile_items_do_no_harm),
    TEST(bad_arguments_are_refused),
    TEST(failing_allocations_leak_nothing),
    TEST(chosen_answers_tell_more_than_random_ones), // sets the seed
};

MAIN(tests)
