// SPDX-License-Identifier: MIT
// Tests of training and of the pool's memory: against golden gradients and optimiser steps, against central differences
// of an independent double-precision loss (reference.h), against a dense double-precision solution of the memory, and
// against the promises of locus.h.
//
//     cc -O2 tests/test_train.c -o build/test_train -lm -lpthread && build/test_train [part of a test's name]
//
// Run from the root of the repository. LOCUS_TEST_QUICK=1: fewer and smaller cases (valgrind, emulators).
// LOCUS_TEST_GOLDEN_TRAIN: folder of the golden steps (default tests/golden-train). LOCUS_TEST_TMP: for files (default
// /tmp). LOCUS_TEST_SEED: another seed for the random cases.

#include <stddef.h>
#include <stdlib.h>

// Every allocation of the library is counted, and can be made to fail at the N-th.
void *test_malloc(size_t bytes);
void test_free(void *p);
#define LOCUS_MALLOC(bytes) test_malloc(bytes)
#define LOCUS_FREE(pointer) test_free(pointer)
#define LOCUS_IMPLEMENTATION
#include "../locus.h"

#define TEST_FILE "test_train.c"
#include "harness.h"

// ---------------------------------------------------------------------------------------------------- the training
// core

typedef struct core {
    locus_trainer t; // for steps alone
    void *memory;
} core;

// flat <- the tensors of a file of this shape
static int core_load(const locus_trainer *t, const locus_safetensors *st, float *flat)
{
    size_t i, r, c;
    memset(flat, 0, t->count * sizeof(float));
    for (i = 0; i < t->param_count; i++) {
        const locusi_param *p = &t->params[i];
        const locus_tensor *tensor;
        locusi_spec spec;
        locusi_spec_at(&t->shape, p->tensor, locusi_last_name(st), &spec);
        if (!CHECK_STATUS(LOCUS_OK, locusi_check_tensor(st, &spec, &tensor, &g_err))) return 0;
        for (r = 0; r < p->rows; r++)
            for (c = 0; c < p->columns; c++)
                locus_tensor_to_f32(tensor, locusi_param_in(p, r, c), 1, flat + locusi_param_at(&t->shape, p, r, c),
                                    NULL);
    }
    return 1;
}

// A core with the weights of a net file, for steps of at most these sizes.
static int core_make(core *c, const locus_safetensors *st, locus_isa isa, const locus_parallel *parallel, size_t rows,
                     size_t targets)
{
    locusi_work w;
    locus_run run;
    ZERO(*c);
    ZERO(run);
    if (!CHECK_STATUS(LOCUS_OK, locusi_net_sizes(&c->t.shape, st, &g_err))) return 0;
    c->t.run.isa = isa;
    c->t.run.parallel = parallel;
    ZERO(w);
    w.base = (unsigned char *)c; // only counts
    locusi_train_lay(&c->t, &w, rows, targets);
    run.memory_bytes = w.used + LOCUSI_ALIGN;
    run.memory = c->memory = xmalloc(run.memory_bytes);
    memset(c->memory, 0, run.memory_bytes);
    locusi_work_begin(&w, &run);
    locusi_train_lay(&c->t, &w, rows, targets);
    if (!CHECK_STATUS(LOCUS_OK, locusi_work_short(&w, &g_err))) return 0;
    locusi_train_start(&c->t);
    if (!core_load(&c->t, st, c->t.theta)) return 0;
    locusi_train_prepare(&c->t);
    return 1;
}

static void core_free(core *c) { free(c->memory); }

// [rows, ldq] <- [rows, D]
static float *padded(const float *q, size_t rows, size_t D)
{
    size_t ld = (D + 15) / 16 * 16 + 16, i;
    float *out = floats(rows * ld);
    memset(out, 0, rows * ld * sizeof(float));
    for (i = 0; i < rows; i++) memcpy(out + i * ld, q + i * D, D * sizeof(float));
    return out;
}

// All places of a flat array that are pads are 0.
static void check_pads(const locus_trainer *t, const float *flat, const char *what)
{
    unsigned char *real = (unsigned char *)xmalloc(t->count);
    size_t i, r, c, wrong = 0;
    memset(real, 0, t->count);
    for (i = 0; i < t->param_count; i++)
        for (r = 0; r < t->params[i].rows; r++)
            for (c = 0; c < t->params[i].columns; c++) real[locusi_param_at(&t->shape, &t->params[i], r, c)] = 1;
    for (i = 0; i < t->count; i++) wrong += !real[i] && flat[i] != 0.0f;
    check_size(__LINE__, what, 0, wrong);
    free(real);
}

// ---------------------------------------------------------------------------------------------------- golden steps

static const char *golden_path(const char *name, const char *file)
{
    static char path[512];
    const char *folder = getenv("LOCUS_TEST_GOLDEN_TRAIN");
    snprintf(path, sizeof path, "%s/%s/%s", folder ? folder : "tests/golden-train", name, file);
    return path;
}

static float *golden_floats(const char *name, const char *file, locus_array *shape)
{
    float *out = NULL;
    locus_array opened;
    if (!CHECK_STATUS(LOCUS_OK, locus_npy_open(shape, golden_path(name, file), &g_err))) return NULL;
    out = floats(shape->count);
    CHECK_STATUS(LOCUS_OK, locus_array_to_f32(shape, 0, shape->count, out, &g_err));
    opened = *shape; // closing clears it
    locus_array_close(&opened);
    return out;
}

// The numbers of a list in train.json.
static void golden_list(const char *name, const char *key, double *out, size_t count)
{
    char text[2048], *at;
    size_t n, i;
    FILE *f = fopen(golden_path(name, "train.json"), "rb");
    memset(out, 0, count * sizeof *out);
    if (!CHECK(f)) return;
    n = fread(text, 1, sizeof text - 1, f);
    text[n] = 0;
    fclose(f);
    at = strstr(text, key);
    if (!CHECK(at)) return;
    at = strchr(at, '[') + 1;
    for (i = 0; i < count; i++) {
        out[i] = strtod(at, &at);
        at = strpbrk(at, ",]");
        if (!CHECK(at)) return;
        at++;
    }
}

static void golden_case(const char *name)
{
    locus_safetensors model, grad, after;
    locus_array aq, at, ay, am, ayt;
    float *q = golden_floats(name, "q_anchor.npy", &aq), *qt = golden_floats(name, "q_test.npy", &at);
    float *y = golden_floats(name, "y.npy", &ay), *mask = golden_floats(name, "mask.npy", &am);
    float *yt = golden_floats(name, "y_target.npy", &ayt), *Q, *QT, *weight;
    size_t n, D, M, N, i, step;
    double loss[5], norm[5];
    int isa;
    golden_list(name, "\"losses\"", loss, 5);
    golden_list(name, "\"grad_norms_before_clip\"", norm, 5);
    if (!q || !qt || !y || !mask || !yt) return;
    M = ay.shape[0], n = ay.shape[1], D = at.shape[1], N = at.shape[0];
    CHECK_SIZE(n * D, aq.count);
    CHECK_SIZE(M * N, ayt.count);
    CHECK(CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&model, golden_path(name, "model.safetensors"), &g_err)));
    CHECK(CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&grad, golden_path(name, "grad.safetensors"), &g_err)));
    CHECK(CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&after, golden_path(name, "after5.safetensors"), &g_err)));
    Q = padded(q, n, D), QT = padded(qt, N, D), weight = floats(M);
    for (i = 0; i < M; i++) weight[i] = (float)(1.0 / (double)(M * N));
    for (i = 0; i < M * n; i++)
        if (mask[i] <= 0.0f) y[i] = f_nan();
    for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
        core c;
        locusi_batch b;
        const double rate[2] = {2e-4, 8e-4};
        float *want;
        double top = 0.0;
        if (!locus_isa_supported((locus_isa)isa)) continue;
        context("%s %s", name, locus_isa_name((locus_isa)isa));
        if (!core_make(&c, &model, (locus_isa)isa, NULL, n, N)) return;
        ZERO(b);
        c.t.o.clip = 1.0, c.t.o.weight_decay = 0.05;
        b.models = M, b.rows = n, b.targets = N, b.queries = Q, b.target_queries = QT, b.scores = y;
        b.target_scores = yt, b.model_weight = weight;
        want = floats(c.t.count);
        for (step = 1; step <= 5; step++) {
            const float *g = c.t.group[0].gradient;
            double l = locusi_train_step(&c.t, &b), sum = 0.0;
            CHECK(!c.t.bad);
            CHECK_NEAR(loss[step - 1], l, 1e-6);
            CHECK_NEAR(norm[step - 1], locusi_norm(c.t.k, g, c.t.count), 1e-5 * norm[step - 1]);
            if (step == 1) {
                double worst_error = 0.0;
                core_load(&c.t, &grad, want);
                for (i = 0; i < c.t.count; i++) {
                    double e = fabs((double)want[i] - (double)g[i]);
                    if (fabs((double)want[i]) > top) top = fabs((double)want[i]);
                    if (!(e <= worst_error)) worst_error = e;
                    sum += (double)want[i] * (double)want[i];
                }
                CHECK_NEAR(norm[0], sqrt(sum), 1e-5 * norm[0]); // the file and the layout hold every entry
                CHECK_NEAR(0.0, worst_error, 1e-5 * top);
                check_pads(&c.t, g, "pads of the gradient that are not 0");
            }
            locusi_train_update(&c.t, rate, step, locusi_norm(c.t.k, g, c.t.count));
            locusi_train_prepare(&c.t);
        }
        core_load(&c.t, &after, want);
        top = 0.0;
        for (i = 0; i < c.t.count; i++) {
            double e = fabs((double)want[i] - (double)c.t.theta[i]);
            if (!(e <= top)) top = e;
        }
        CHECK_NEAR(0.0, top, 1e-5);
        check_pads(&c.t, c.t.theta, "pads of the weights that are not 0");
        free(want);
        core_free(&c);
    }
    locus_safetensors_close(&model), locus_safetensors_close(&grad), locus_safetensors_close(&after);
    free(q), free(qt), free(y), free(mask), free(yt), free(Q), free(QT), free(weight);
}

static void golden_gradient_and_steps_tiny(void) { golden_case("tiny"); }

// ---------------------------------------------------------------------------------------------------- differences

// mix() of the header's comment, written again.
static uint64_t ref_mix(uint64_t h)
{
    int i;
    for (i = 0; i < 2; i++) {
        h ^= h >> 32;
        h *= 0xd6e8feb86659fd93u;
    }
    return h ^ h >> 32;
}

typedef struct grad_case {
    size_t D, d, heads, layers, r, hidden, n, M, N;
    int dropout;
} grad_case;

static void gradient_case(const grad_case *k, uint64_t seed, size_t samples)
{
    ref_net ref;
    ref_rng g;
    raw_file *raw;
    unsigned char *data;
    size_t bytes, i, j, m, p, taken;
    locus_safetensors st;
    const uint64_t key = 0x1234567 + seed;
    float *q, *qt, *y, *yt, *w, *Q, *QT, *analytic[LOCUS_ISA_COUNT];
    double *keep = NULL, *zref, loss, top = 0.0, worst_error[LOCUS_ISA_COUNT] = {0};
    core c[LOCUS_ISA_COUNT];
    int isa, best = 0;
    g.state = seed * 77 + g_seed;
    ref_init(&ref, k->D, k->d, k->heads, k->layers, k->r, k->hidden, 0, seed % 2 ? 3 : 2, seed * 101 + g_seed);
    raw = raw_from_net(&ref);
    data = raw_bytes(raw, &bytes);
    raw_free(raw);
    if (!CHECK_STATUS(LOCUS_OK, locus_safetensors_parse(&st, data, bytes, NULL, &g_err))) return;
    q = floats(k->n * k->D), qt = floats(k->N * k->D), y = floats(k->M * k->n), yt = floats(k->M * k->N);
    w = floats(k->M);
    for (i = 0; i < k->n * k->D; i++) q[i] = (float)ref_normal(&g);
    for (i = 0; i < k->N * k->D; i++) qt[i] = (float)ref_normal(&g);
    for (m = 0; m < k->M; m++) {
        w[m] = (float)(0.02 + 0.1 * ref_uniform(&g));
        for (i = 0; i < k->n; i++) { // 0, 1, fractions, missing; a different set for each model
            double u = ref_uniform(&g);
            float *to = &y[m * k->n + i];
            *to = u < 0.25 ? 0.0f : u < 0.5 ? 1.0f : u < 0.75 ? (float)ref_uniform(&g) : f_nan();
        }
        y[m * k->n + m % k->n] = 1.0f;
        for (i = 0; i < k->N; i++)
            yt[m * k->N + i] = ref_uniform(&g) < 0.2 ? f_nan() : (float)(i % 2 ? ref_uniform(&g) : i % 4 < 2);
    }
    if (k->M > 2) // one model has no targets at all
        for (i = 0; i < k->N; i++) yt[2 * k->N + i] = f_nan();
    if (k->dropout) { // a quarter is dropped: 16 bits of the generator for each hidden unit
        size_t gp = (k->hidden + 15) / 16 * 16;
        keep = ref_alloc(k->M * k->N * k->hidden);
        for (m = 0; m < k->M; m++)
            for (i = 0; i < k->N; i++)
                for (j = 0; j < k->hidden; j++) {
                    uint64_t bits = ref_mix(key + ((uint64_t)m << 40) + i * gp + (j & ~(size_t)3)) >> 16 * (j % 4);
                    keep[(m * k->N + i) * k->hidden + j] = (bits & 65535u) < 16384u ? 0.0 : 1.0 / 0.75;
                }
    }
    Q = padded(q, k->n, k->D), QT = padded(qt, k->N, k->D);
    loss = ref_loss(&ref, k->M, q, k->n, y, qt, k->N, yt, w, keep);
    zref = ref_alloc(k->d);
    for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
        locusi_batch b;
        float *z, *logits;
        analytic[isa] = NULL;
        if (!locus_isa_supported((locus_isa)isa)) continue;
        best = isa;
        context("D %zu d %zu heads %zu layers %zu r %zu hidden %zu %s", k->D, k->d, k->heads, k->layers, k->r,
                k->hidden, locus_isa_name((locus_isa)isa));
        if (!core_make(&c[isa], &st, (locus_isa)isa, NULL, k->n, k->N)) return;
        z = floats(k->M * c[isa].t.shape.dp), logits = floats(k->M * k->N);
        c[isa].t.o.dropout = k->dropout ? 0.25 : 0.0;
        ZERO(b);
        b.models = k->M, b.rows = k->n, b.targets = k->N, b.queries = Q, b.target_queries = QT, b.scores = y;
        b.target_scores = yt, b.model_weight = w, b.z = z, b.logits = logits;
        b.dropout_key = k->dropout ? key : 0;
        CHECK_NEAR(loss, locusi_train_step(&c[isa].t, &b), 2e-5 * (fabs(loss) + 1.0));
        CHECK(!c[isa].t.bad);
        for (m = 0; m < k->M; m++) {
            double e;
            ref_encode(&ref, q, k->n, y + m * k->n, NULL, zref);
            e = worst(zref, z + m * c[isa].t.shape.dp, k->d, &i);
            CHECK_NEAR(0.0, e, 1e-4);
        }
        analytic[isa] = c[isa].t.group[0].gradient;
        check_pads(&c[isa].t, analytic[isa], "pads of the gradient that are not 0");
        // forward alone gives the same
        b.target_scores = NULL;
        {
            float *again = floats(k->M * k->N);
            if (!k->dropout) {
                b.logits = again;
                locusi_train_step(&c[isa].t, &b);
                CHECK_SAME("logits without targets", logits, again, k->M * k->N);
                b.logits = logits;
                b.target_scores = yt;
                locusi_train_step(&c[isa].t, &b); // the gradient again
            }
            free(again);
        }
        free(z), free(logits);
    }
    for (j = 0; j < c[best].t.count; j++)
        if (fabs((double)analytic[best][j]) > top) top = fabs((double)analytic[best][j]);
    CHECK(top > 1e-4);
    for (p = 0; p < c[best].t.param_count; p++) {
        const locusi_param *par = &c[best].t.params[p];
        const locus_net *s = &c[best].t.shape;
        double seen = 0.0, error = 0.0;
        locusi_spec spec;
        ref_tensor *tensor;
        locusi_spec_at(s, par->tensor, locusi_last_name(&st), &spec);
        tensor = ref_find(&ref, spec.name, "");
        if (!CHECK(tensor != NULL)) continue;
        taken = par->rows * par->columns < samples ? par->rows * par->columns : samples;
        for (i = 0; i < taken; i++) {
            size_t at = taken == par->rows * par->columns ? i : (size_t)(ref_bits(&g) % (par->rows * par->columns));
            size_t r = at / par->columns, col = at % par->columns;
            double *v = &tensor->v[locusi_param_in(par, r, col)], was = *v;
            double h = 1e-6, up, down, slope;
            *v = was + h;
            up = ref_loss(&ref, k->M, q, k->n, y, qt, k->N, yt, w, keep);
            *v = was - h;
            down = ref_loss(&ref, k->M, q, k->n, y, qt, k->N, yt, w, keep);
            *v = was;
            slope = (up - down) / (2.0 * h);
            if (fabs(slope) > seen) seen = fabs(slope);
            for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
                double e;
                if (!analytic[isa]) continue;
                e = fabs(slope - (double)analytic[isa][locusi_param_at(s, par, r, col)]);
                if (!(e <= error)) error = e;
                if (!(e <= worst_error[isa])) worst_error[isa] = e;
            }
        }
        // tighter than the claim for tensors whose gradients are small
        context("d %zu layers %zu, %s", k->d, k->layers, spec.name);
        CHECK_NEAR(0.0, error, 1e-3 * seen + 2e-6 * top);
    }
    for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
        if (!analytic[isa]) continue;
        context("d %zu layers %zu, %s", k->d, k->layers, locus_isa_name((locus_isa)isa));
        CHECK_NEAR(0.0, worst_error[isa], 1e-4 * top);
        core_free(&c[isa]);
    }
    locus_safetensors_close(&st);
    free(data), free(q), free(qt), free(y), free(yt), free(w), free(Q), free(QT), free(keep), free(zref);
    ref_free(&ref);
}

static void gradients_match_central_differences(void)
{
    static const grad_case cases[] = {
        {5, 12, 3, 1, 3, 7, 9, 3, 6, 0},    {5, 12, 3, 2, 3, 7, 9, 4, 6, 0}, {7, 16, 4, 3, 5, 9, 11, 3, 5, 0},
        {17, 20, 5, 1, 17, 16, 7, 2, 5, 0}, {1, 1, 1, 1, 1, 1, 3, 2, 3, 0},  {5, 16, 1, 1, 3, 1, 1, 1, 4, 0},
    };
    size_t i, count = g_quick ? 3 : COUNT(cases);
    for (i = 0; i < count; i++) gradient_case(&cases[i], i + 1, g_quick ? 3 : 14);
}

static void gradients_with_dropout_match_central_differences(void)
{
    static const grad_case narrow = {5, 12, 3, 1, 3, 23, 9, 3, 8, 1}, wide = {5, 16, 2, 2, 3, 16, 8, 3, 5, 1};
    gradient_case(&narrow, 11, g_quick ? 2 : 14);
    gradient_case(&wide, 12, g_quick ? 2 : 14);
}

// More rows than a tile of the kernels: too slow for differences of all, so a few parameters of each tensor.
static void gradients_of_larger_steps_match_central_differences(void)
{
    static const grad_case larger = {5, 12, 3, 2, 3, 7, 150, 2, 140, 0};
    if (!g_quick) gradient_case(&larger, 21, 2);
}

// A step for each model whose gradients add up gives what one step over all models gives.
static void steps_in_parts_add_up(void)
{
    ref_net ref;
    raw_file *raw;
    unsigned char *data;
    size_t bytes, i, m, count;
    locus_safetensors st;
    {
        const size_t D = 6, n = 20, M = 5, N = 9;
        core c;
        locusi_batch b;
        float *q = normals(n * D, 1.0, 5), *qt = normals(N * D, 1.0, 6), *y = floats(M * n), *yt = floats(M * N);
        float *Q = padded(q, n, D), *QT = padded(qt, N, D), *whole, w[5];
        ref_rng g;
        double loss, parts = 0.0, top = 0.0, e = 0.0;
        g.state = 3;
        for (i = 0; i < M * n; i++) y[i] = (float)(ref_uniform(&g) < 0.5);
        for (i = 0; i < M * N; i++) yt[i] = (float)ref_uniform(&g);
        for (m = 0; m < M; m++) w[m] = 0.01f * (float)(m + 1);
        ref_init(&ref, D, 16, 2, 2, 4, 8, 0, 3, 9 + g_seed);
        raw = raw_from_net(&ref);
        data = raw_bytes(raw, &bytes);
        raw_free(raw);
        CHECK_STATUS(LOCUS_OK, locus_safetensors_parse(&st, data, bytes, NULL, &g_err));
        if (!core_make(&c, &st, LOCUS_ISA_SCALAR, NULL, n, N)) return;
        c.t.o.dropout = 0.5;
        count = c.t.count;
        ZERO(b);
        b.models = M, b.rows = n, b.targets = N, b.queries = Q, b.target_queries = QT, b.scores = y;
        b.target_scores = yt, b.model_weight = w, b.dropout_key = 99;
        loss = locusi_train_step(&c.t, &b);
        whole = floats(count);
        memcpy(whole, c.t.group[0].gradient, count * sizeof(float));
        for (m = 0; m < M; m++) {
            b.models = 1, b.scores = y + m * n, b.target_scores = yt + m * N, b.model_weight = w + m;
            b.model_id = &m, b.add = m > 0;
            parts += locusi_train_step(&c.t, &b);
        }
        CHECK_NEAR(loss, parts, 1e-6);
        for (i = 0; i < count; i++) {
            if (fabs((double)whole[i]) > top) top = fabs((double)whole[i]);
            if (fabs((double)whole[i] - (double)c.t.group[0].gradient[i]) > e)
                e = fabs((double)whole[i] - (double)c.t.group[0].gradient[i]);
        }
        CHECK_NEAR(0.0, e, 3e-6 * top);
        CHECK(top > 0.0);
        core_free(&c);
        locus_safetensors_close(&st);
        ref_free(&ref);
        free(data), free(q), free(qt), free(y), free(yt), free(Q), free(QT), free(whole);
    }
}

// ---------------------------------------------------------------------------------------------------- random numbers

static uint64_t ref_random(uint64_t seed, uint64_t a, uint64_t b, uint64_t c)
{
    return ref_mix(ref_mix(ref_mix(seed + a * 0x9e3779b97f4a7c15u) + b * 0xc2b2ae3d27d4eb4fu) +
                   c * 0x165667b19e3779f9u);
}

static void random_numbers_are_as_documented(void)
{
    size_t i, wrong = 0, order[50], hit[50], first[10] = {0};
    double sum = 0.0, square = 0.0, cube = 0.0, fourth = 0.0, cross = 0.0, u = 0.0, u2 = 0.0;
    size_t tail = 0, far = 0, n = g_quick ? 20000 : 200000;
    for (i = 0; i < 1000; i++) {
        uint64_t seed = ref_mix(i), index = i % 3 ? i : ref_mix(i + 5);
        int stream = 1 + (int)(i % 10);
        wrong +=
            locusi_random(seed, (unsigned)stream, i * 7, index) != ref_random(seed, (uint64_t)stream, i * 7, index);
    }
    CHECK_SIZE(0, wrong);
    // known values, from Python's integers
    CHECK(locusi_random(0, LOCUSI_STREAM_WEIGHTS, 0, 0) == 0xf063b9950940cb2cu);
    CHECK(locusi_random(2026, LOCUSI_STREAM_NOISE, 17, 12345) == 0xb47e4e96e208557fu);
    CHECK(locusi_random(UINT64_MAX, LOCUSI_STREAM_UNLABELLED, 2500, (uint64_t)1 << 40) == 0xd9f06cd44f78d010u);
    for (i = 0; i < n; i++) {
        float a, b;
        double v = locusi_uniform(locusi_random(7, LOCUSI_STREAM_WEIGHTS, 1, i));
        wrong += !(v >= 0.0 && v < 1.0);
        u += v / (double)n, u2 += v * v / (double)n;
        locusi_normal(locusi_random(7, LOCUSI_STREAM_NOISE, 1, i), &a, &b);
        sum += (double)a + (double)b;
        square += (double)a * (double)a + (double)b * (double)b;
        cube += pow((double)a, 3.0) + pow((double)b, 3.0);
        fourth += pow((double)a, 4.0) + pow((double)b, 4.0);
        cross += (double)a * (double)b;
        tail += (size_t)(fabsf(a) > 1.959964f) + (size_t)(fabsf(b) > 1.959964f);
        far += (size_t)(fabsf(a) > 3.290527f) + (size_t)(fabsf(b) > 3.290527f);
        wrong += !(fabsf(a) < 7.0f && fabsf(b) < 7.0f);
    }
    CHECK_SIZE(0, wrong);
    { // five standard errors
        double k = 2.0 * (double)n;
        CHECK_NEAR(0.5, u, 5.0 * sqrt(1.0 / 12.0 / (double)n));
        CHECK_NEAR(1.0 / 3.0, u2, 5.0 * sqrt(4.0 / 45.0 / (double)n));
        CHECK_NEAR(0.0, sum / k, 5.0 / sqrt(k));
        CHECK_NEAR(1.0, square / k, 5.0 * sqrt(2.0 / k));
        CHECK_NEAR(0.0, cube / k, 5.0 * sqrt(15.0 / k));
        CHECK_NEAR(3.0, fourth / k, 5.0 * sqrt(96.0 / k));
        CHECK_NEAR(0.0, cross / (double)n, 5.0 / sqrt((double)n));
        CHECK_NEAR(0.05, (double)tail / k, 5.0 * sqrt(0.0475 / k));
        CHECK_NEAR(0.001, (double)far / k, 5.0 * sqrt(0.001 / k));
    }
    for (i = 0; i < 3000; i++) {
        size_t j, bad = 0, len = 1 + i % 50;
        locusi_shuffle(i, LOCUSI_STREAM_SUBSET, i / 7, order, len);
        memset(hit, 0, sizeof hit);
        for (j = 0; j < len; j++) {
            if (order[j] >= len) bad++;
            else hit[order[j]]++;
        }
        for (j = 0; j < len; j++) bad += hit[j] != 1;
        wrong += bad;
        locusi_shuffle(i, LOCUSI_STREAM_SUBSET, 1, order, 10);
        first[order[i % 3]]++;
    }
    CHECK_SIZE(0, wrong);
    for (i = 0; i < 10; i++) CHECK_NEAR(300.0, (double)first[i], 5.0 * sqrt(270.0));
}

// ---------------------------------------------------------------------------------------------------- trainers

// Queries around two centres and models of opposite skill on them: what a router must learn.
typedef struct problem {
    size_t n, D, M, train_count, validation_count, unlabelled_count;
    float *q, *y;
    unsigned char *u8;
    size_t *train, *validation, *unlabelled;
    locus_train_data data;
} problem;

enum { BINARY_ONLY, MISSING }; // scores; MISSING: some are, and every third model's are fractions

static void problem_make(problem *p, size_t n, size_t D, size_t M, int kind, uint64_t seed)
{
    ref_rng g;
    size_t i, j, m;
    g.state = seed * 1009 + g_seed;
    ZERO(*p);
    p->n = n, p->D = D, p->M = M;
    p->q = floats(n * D), p->y = floats(M * n), p->u8 = (unsigned char *)xmalloc(M * n);
    p->train = (size_t *)xmalloc(n * sizeof(size_t));
    p->validation = (size_t *)xmalloc(n * sizeof(size_t));
    p->unlabelled = (size_t *)xmalloc(n * sizeof(size_t));
    for (i = 0; i < n; i++) {
        double side = i % 2 ? 1.0 : -1.0;
        for (j = 0; j < D; j++) p->q[i * D + j] = (float)(0.2 * (ref_normal(&g) + (j == 0 ? 4.0 * side : 0.0)));
        if (i % 5 < 3) p->train[p->train_count++] = n - 1 - i;
        else if (i % 5 == 3) p->validation[p->validation_count++] = n - 1 - i;
        else p->unlabelled[p->unlabelled_count++] = n - 1 - i;
    }
    for (m = 0; m < M; m++)
        for (i = 0; i < n; i++) {
            int good = m % 2 == i % 2, missing = kind == MISSING && ref_uniform(&g) < 0.2;
            float y = (float)(ref_uniform(&g) < (good ? 0.9 : 0.15));
            if (kind == MISSING && m % 3 == 2) y = (float)(good ? 0.6 + 0.4 * ref_uniform(&g) : 0.4 * ref_uniform(&g));
            p->y[m * n + i] = missing ? f_nan() : y;
            p->u8[m * n + i] = (unsigned char)(missing ? 255 : y >= 0.5f);
        }
    p->data.evals.queries.encodings = p->q, p->data.evals.queries.count = n, p->data.evals.queries.dim = D;
    p->data.evals.scores.models = M;
    p->data.evals.scores.f32 = p->y;
    p->data.train = p->train, p->data.train_count = p->train_count;
    p->data.validation = p->validation, p->data.validation_count = p->validation_count;
    p->data.unlabelled = p->unlabelled, p->data.unlabelled_count = p->unlabelled_count;
}

static void problem_free(problem *p)
{
    free(p->q), free(p->y), free(p->u8), free(p->train), free(p->validation), free(p->unlabelled);
}

// Small nets and few epochs, everything that the recipe has still in play.
static locus_train_opts small_opts(locus_recipe recipe)
{
    locus_train_opts o;
    ZERO(o);
    o.recipe = recipe;
    o.seed = 5;
    o.z_dim = 12, o.n_heads = 3, o.n_layers = 1, o.m_induce = 3, o.decoder_hidden = 7;
    o.epochs = 7, o.evaluate_every = 2, o.warmup = 2;
    if (recipe == LOCUS_RECIPE_BEST) o.virtual_models = 3, o.targets = 20, o.subset_min = 4, o.skew = 0.5;
    return o;
}

static locus_run g_run; // of the trainers that are made

static locus_trainer *trainer_of(const problem *p, const locus_train_opts *o)
{
    locus_trainer *t = NULL;
    CHECK_STATUS(LOCUS_OK, locus_train_create(&t, &p->data, o, &g_run, &g_err));
    return t;
}

static locus_status one_epoch(locus_trainer *t, locus_epoch *e)
{
    locus_epoch unused;
    return locusi_train_epoch(t, e ? e : &unused, &g_err);
}

// Everything that a trainer goes on from: weights, moments, means, best weights, counters.
typedef struct state {
    size_t count, epoch, best_epoch;
    double best_value;
    int finished;
    float *v; // [5, count]
} state;

static state state_of(const locus_trainer *t)
{
    state s;
    s.count = t->count;
    s.epoch = t->epoch, s.best_epoch = t->best_epoch, s.best_value = t->best_value, s.finished = t->finished;
    s.v = floats(LOCUSI_STATES * s.count);
    memcpy(s.v, t->state, LOCUSI_STATES * s.count * sizeof(float));
    return s;
}

static int state_same(const state *a, const state *b)
{
    return a->count == b->count && a->epoch == b->epoch && a->best_epoch == b->best_epoch &&
           a->finished == b->finished && memcmp(&a->best_value, &b->best_value, sizeof(double)) == 0 &&
           memcmp(a->v, b->v, 5 * a->count * sizeof(float)) == 0;
}

// *s (freed) against the trainer.
static int check_state(int line, const char *what, const state *s, const locus_trainer *t)
{
    static const char *const part[5] = {"weights", "first moments", "second moments", "mean weights", "best weights"};
    state now = state_of(t);
    int ok = state_same(s, &now);
    size_t i;
    g_checks++;
    if (!ok) {
        failure(line, "%s: expected the same trainer in every bit, found epoch %zu/%zu best %zu/%zu", what, s->epoch,
                now.epoch, s->best_epoch, now.best_epoch);
        for (i = 0; i < 5; i++) check_same(line, part[i], s->v + i * s->count, now.v + i * s->count, s->count);
    }
    free(now.v);
    return ok;
}
#define CHECK_STATE(what, s, t) check_state(__LINE__, what, s, t)

static void initial_weights_are_as_specified(void)
{
    // method.md, "Initial values", by tensor name: half-width of a uniform, -1: standard normal, 0: the constant
    locus_train_opts o = small_opts(LOCUS_RECIPE_BEST);
    problem p;
    locus_trainer *t;
    locus_safetensors st;
    const char *path = temp_path("initial.safetensors");
    size_t i, j;
    problem_make(&p, 40, 9, 4, BINARY_ONLY, 3);
    o.recipe = LOCUS_RECIPE_PAPER; // encodings as they are: the file holds the trainer's own weights
    o.z_dim = 48, o.n_heads = 4, o.m_induce = 11, o.decoder_hidden = 33, o.n_layers = 2;
    t = trainer_of(&p, &o);
    CHECK_STATUS(LOCUS_OK, locus_train_save(t, path, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err));
    CHECK_SIZE(2 + 2 * 25 + 1 + 12 + 2 + 6, st.tensor_count);
    for (i = 0; i < st.tensor_count; i++) {
        const locus_tensor *x = &st.tensors[i];
        const char *name = x->name;
        const double d = 48.0, D = 9.0, r = 11.0, hidden = 33.0;
        double bound, mean = 0.0, square = 0.0, top = 0.0, k = (double)x->count, low = 1e9, high = -1e9;
        float *v = floats(x->count);
        CHECK_STATUS(LOCUS_OK, locus_tensor_to_f32(x, 0, x->count, v, &g_err));
        for (j = 0; j < x->count; j++) {
            mean += (double)v[j] / k, square += (double)v[j] * (double)v[j] / k;
            if (fabs((double)v[j]) > top) top = fabs((double)v[j]);
            if ((double)v[j] < low) low = (double)v[j];
            if ((double)v[j] > high) high = (double)v[j];
        }
        free(v);
        context("%s", name);
        if (strstr(name, ".ln")) {
            CHECK_NEAR(strstr(name, "weight") ? 1.0 : 0.0, low, 0.0);
            CHECK_NEAR(strstr(name, "weight") ? 1.0 : 0.0, high, 0.0);
            continue;
        }
        if (strstr(name, "pma.S")) {
            CHECK(fabs(mean) < 5.0 / sqrt(k) && fabs(square - 1.0) < 5.0 * sqrt(2.0 / k));
            CHECK(top > 1.2 && top < 5.0);
            continue;
        }
        bound = strstr(name, ".I")          ? sqrt(6.0 / ((r + 1.0) * d))
                : strstr(name, "input.0")   ? 1.0 / sqrt(2.0 * D + 1.0)
                : strstr(name, "decoder.U") ? 1.0 / sqrt(D)
                : strstr(name, "rff.net.2") ? 1.0 / sqrt(2.0 * d)
                : strstr(name, "head.0")    ? 1.0 / sqrt(3.0 * d)
                : strstr(name, "head.3")    ? 1.0 / sqrt(hidden)
                                            : 1.0 / sqrt(d);
        CHECK(top <= bound * 1.000001);
        CHECK(k < 40.0 || top > 0.85 * bound);
        CHECK_NEAR(0.0, mean, 5.0 * bound / sqrt(3.0 * k));
        CHECK_NEAR(bound * bound / 3.0, square, 5.0 * bound * bound * sqrt(4.0 / 45.0 / k));
    }
    locus_safetensors_close(&st);
    locus_train_destroy(t);
    remove(path);
    problem_free(&p);
}

static void seeds_decide_the_weights(void)
{
    int recipe;
    for (recipe = 0; recipe < 2; recipe++) {
        locus_train_opts o = small_opts((locus_recipe)recipe);
        problem p;
        locus_trainer *a, *b;
        state first, start;
        size_t i, same = 0;
        context("recipe %d", recipe);
        problem_make(&p, 60, 6, 5, MISSING, 4);
        a = trainer_of(&p, &o);
        CHECK_STATUS(LOCUS_OK, locus_train_run(a, &g_err));
        first = state_of(a);
        CHECK_SIZE(7, first.epoch);
        b = trainer_of(&p, &o);
        CHECK_STATUS(LOCUS_OK, locus_train_run(b, &g_err));
        CHECK_STATE("the same seed", &first, b);
        locus_train_destroy(b);
        o.seed = 6;
        b = trainer_of(&p, &o);
        start = state_of(b);
        CHECK_STATUS(LOCUS_OK, locus_train_run(b, &g_err));
        for (i = 0; i < first.count; i++) same += first.v[i] == b->theta[i] && first.v[i] != 0.0f;
        CHECK(same < first.count / 100);
        free(first.v), free(start.v);
        locus_train_destroy(a), locus_train_destroy(b);
        // scores in bytes are the same as in floats
        o = small_opts((locus_recipe)recipe);
        for (i = 0; i < p.M * p.n; i++) p.y[i] = p.u8[i] == 255 ? f_nan() : (float)p.u8[i];
        a = trainer_of(&p, &o);
        p.data.evals.scores.f32 = NULL, p.data.evals.scores.u8 = p.u8;
        b = trainer_of(&p, &o);
        CHECK_STATUS(LOCUS_OK, locus_train_run(a, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_train_run(b, &g_err));
        first = state_of(a);
        CHECK_STATE("scores in bytes", &first, b);
        free(first.v);
        locus_train_destroy(a), locus_train_destroy(b);
        problem_free(&p);
    }
}

static void threads_change_no_bit(void)
{
    int recipe;
    for (recipe = 0; recipe < 2; recipe++) {
        locus_train_opts o = small_opts((locus_recipe)recipe);
        problem p;
        locus_trainer *t;
        state first;
        size_t kind;
        problem_make(&p, recipe ? 60 : 700, 6, recipe ? 5 : 11, MISSING, 4);
        o.epochs = g_quick ? 2 : 4;
        t = trainer_of(&p, &o);
        CHECK_STATUS(LOCUS_OK, locus_train_run(t, &g_err));
        first = state_of(t);
        locus_train_destroy(t);
        for (kind = 1; kind < THREAD_KINDS; kind++) {
            const size_t before = g_backward_tasks;
            context("recipe %d, kind of parallel %zu", recipe, kind);
            g_run.parallel = parallel_of(kind);
            t = trainer_of(&p, &o);
            CHECK_STATUS(LOCUS_OK, locus_train_run(t, &g_err));
            CHECK_STATE("threads", &first, t);
            CHECK(kind < 4 || g_backward_tasks > before);
            locus_train_destroy(t);
        }
        g_run.parallel = NULL;
        free(first.v);
        problem_free(&p);
    }
}

// ---------------------------------------------------------------------------------------------------- resume

static void resumed_training_is_bit_identical(void)
{
    int recipe;
    const char *path = temp_path("resume.state");
    for (recipe = 0; recipe < 2; recipe++) {
        locus_train_opts o = small_opts((locus_recipe)recipe);
        problem p;
        locus_trainer *whole, *t;
        state end, middle;
        size_t k, i;
        problem_make(&p, 60, 6, 5, MISSING, 8);
        whole = trainer_of(&p, &o);
        CHECK_STATUS(LOCUS_OK, locus_train_run(whole, &g_err));
        end = state_of(whole);
        for (k = 0; k <= o.epochs; k++) {
            context("recipe %d, stopped after %zu of %zu", recipe, k, o.epochs);
            t = trainer_of(&p, &o);
            for (i = 0; i < k; i++) CHECK_STATUS(LOCUS_OK, one_epoch(t, NULL));
            CHECK_STATUS(LOCUS_OK, locus_train_save_state(t, path, &g_err));
            middle = state_of(t);
            locus_train_destroy(t);
            t = trainer_of(&p, &o);
            if (k % 2) CHECK_STATUS(LOCUS_OK, one_epoch(t, NULL)); // also into a used trainer
            CHECK_STATUS(LOCUS_OK, locus_train_load_state(t, path, &g_err));
            CHECK_STATE("state as loaded", &middle, t);
            CHECK_STATUS(LOCUS_OK, locus_train_run(t, &g_err));
            CHECK_STATE("state at the end", &end, t);
            free(middle.v);
            locus_train_destroy(t);
        }
        free(end.v);
        locus_train_destroy(whole);
        problem_free(&p);
    }
    remove(path);
}

static void states_of_other_data_or_options_are_refused(void)
{
    const char *path = temp_path("other.state"), *net = temp_path("other.safetensors");
    size_t i, cases = 30;
    problem p;
    locus_train_opts o = small_opts(LOCUS_RECIPE_BEST);
    locus_trainer *t;
    problem_make(&p, 60, 6, 5, BINARY_ONLY, 8);
    t = trainer_of(&p, &o);
    CHECK_STATUS(LOCUS_OK, one_epoch(t, NULL));
    CHECK_STATUS(LOCUS_OK, locus_train_save_state(t, path, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_train_save(t, net, &g_err));
    locus_train_destroy(t);
    for (i = 0; i <= cases; i++) {
        locus_train_opts other = o;
        problem q;
        state before;
        problem_make(&q, 60, 6, 5, BINARY_ONLY, 8);
        context("change %zu", i);
        switch (i) {
        case 1: other.seed++; break;
        case 2: other.recipe = LOCUS_RECIPE_PAPER; break;
        case 3: other.epochs++; break; // the cosine depends on it
        case 4: other.evaluate_every++; break;
        case 5: other.keep = LOCUS_KEEP_HIT1; break;
        case 6: other.average = 0.5; break;
        case 7: other.encoder_rate = 1e-4; break;
        case 8: other.predictor_rate = 1e-4; break;
        case 9: other.warmup = 3; break;
        case 10: other.weight_decay = 0.1; break;
        case 11: other.clip = 2.0; break;
        case 12: other.dropout = -1.0; break;
        case 13: other.noise = 0.2; break;
        case 14: other.subset_min++; break;
        case 15: other.subset_max = 9; break;
        case 16: other.skew = 0.1; break;
        case 17: other.targets--; break;
        case 18: other.seen = 0.5; break;
        case 19: other.virtual_models++; break;
        case 20: other.separate_noise = 1; break;
        case 21: other.parts = 2; break;
        case 22: other.n_heads = 2; break;
        case 23: other.decoder_hidden = 8; break; // the same padded sizes
        case 24: other.m_induce = 4; break;
        case 25: q.q[q.train[3] * q.D + 2] += 0.001f; break;
        case 26: q.y[2 * q.n + q.train[7]] = 1.0f - q.y[2 * q.n + q.train[7]]; break;
        case 27: q.data.train_count--; break;
        case 28: q.y[2 * q.n + q.validation[3]] = 1.0f - q.y[2 * q.n + q.validation[3]]; break;
        case 29: q.q[q.validation[2] * q.D + 1] += 0.001f; break;
        case 30: q.q[q.unlabelled[2] * q.D + 1] += 0.001f; break;
        default: break; // 0: nothing
        }
        t = trainer_of(&q, &other);
        CHECK_STATUS(LOCUS_OK, one_epoch(t, NULL));
        before = state_of(t);
        CHECK_STATUS(i ? LOCUS_ERR_MISMATCH : LOCUS_OK, locus_train_load_state(t, path, &g_err));
        if (i) CHECK_STATE("after a refusal", &before, t);
        if (i == 1) {
            CHECK_STATUS(LOCUS_ERR_MISMATCH, locus_train_load_state(t, net, &g_err));
            CHECK_STATE("after a net file", &before, t);
            CHECK_STATUS(LOCUS_ERR_IO, locus_train_load_state(t, "/nonexistent/state", &g_err));
            CHECK_STATUS(LOCUS_ERR_IO, locus_train_save_state(t, "/nonexistent/state", &g_err));
            CHECK_STATUS(LOCUS_ERR_IO, locus_train_save(t, "/nonexistent/net", &g_err));
            CHECK_STATE("after paths that do not exist", &before, t);
            CHECK_STATUS(LOCUS_OK, one_epoch(t, NULL)); // it can go on
        }
        free(before.v);
        locus_train_destroy(t);
        problem_free(&q);
    }
    remove(path), remove(net);
    problem_free(&p);
}

static unsigned char *slurp(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    unsigned char *data = (unsigned char *)xmalloc(1 << 20);
    *bytes = 0;
    if (!CHECK(f)) return data;
    *bytes = fread(data, 1, 1 << 20, f);
    fclose(f);
    return data;
}

static void spew(const char *path, const unsigned char *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    if (!CHECK(f)) return;
    CHECK_SIZE(bytes, fwrite(data, 1, bytes, f));
    fclose(f);
}

static void spoilt_states_are_refused(void)
{
    const char *path = temp_path("spoilt.state");
    problem p;
    locus_train_opts o = small_opts(LOCUS_RECIPE_BEST);
    locus_trainer *t, *other;
    state before, saved;
    unsigned char *data;
    size_t bytes, i, accepted = 0, tried = 0;
    ref_rng g;
    g.state = 11 + g_seed;
    problem_make(&p, 40, 6, 4, BINARY_ONLY, 9);
    t = trainer_of(&p, &o);
    for (i = 0; i < 3; i++) CHECK_STATUS(LOCUS_OK, one_epoch(t, NULL));
    CHECK_STATUS(LOCUS_OK, locus_train_save_state(t, path, &g_err));
    saved = state_of(t);
    data = slurp(path, &bytes);
    other = trainer_of(&p, &o);
    CHECK_STATUS(LOCUS_OK, one_epoch(other, NULL));
    before = state_of(other);
    for (i = 0; i < (g_quick ? 40u : 400u); i++) {
        const size_t header = 8 + (size_t)data[0] + ((size_t)data[1] << 8);
        size_t at = i % 2 ? (size_t)(ref_bits(&g) % header) : (size_t)(ref_bits(&g) % bytes), length = bytes;
        unsigned char was = data[at];
        locus_status s;
        context("bit of byte %zu of %zu (header %zu)", at, bytes, header);
        if (i % 8 == 7) {
            length = (size_t)(ref_bits(&g) % bytes);
            context("%zu of %zu bytes", length, bytes);
        } else {
            data[at] = (unsigned char)(data[at] ^ 1u << ref_bits(&g) % 8);
        }
        spew(path, data, length);
        data[at] = was;
        s = locus_train_load_state(other, path, &g_err);
        tried++;
        if (s == LOCUS_OK) {
            accepted++;
            failure(__LINE__, "accepted");
            CHECK_STATE("what was accepted", &saved, other);
            locus_train_destroy(other);
            other = trainer_of(&p, &o);
            CHECK_STATUS(LOCUS_OK, one_epoch(other, NULL));
        } else {
            CHECK(s == g_err.status && g_err.message[0]);
            CHECK(s != LOCUS_ERR_ARGUMENT && s != LOCUS_ERR_MEMORY && s != LOCUS_ERR_DIVERGED);
            CHECK_STATE("after a refusal", &before, other);
        }
    }
    CHECK_SIZE(0, accepted);
    spew(path, data, 0);
    CHECK_STATUS(LOCUS_ERR_FORMAT, locus_train_load_state(other, path, &g_err));
    spew(path, data, bytes);
    CHECK_STATUS(LOCUS_OK, locus_train_load_state(other, path, &g_err));
    CHECK_STATE("the file as it was", &saved, other);
    remove(path);
    free(data), free(before.v), free(saved.v);
    locus_train_destroy(t), locus_train_destroy(other);
    problem_free(&p);
}

// A state whose bytes and hash are whole, but that no training leaves behind.
static void states_out_of_bounds_are_refused(void)
{
    const char *path = temp_path("bounds.state");
    problem p;
    locus_train_opts o = small_opts(LOCUS_RECIPE_BEST);
    locus_trainer *t, *other;
    state before;
    size_t i;
    const float in_v = f_nan();
    problem_make(&p, 40, 6, 4, BINARY_ONLY, 9);
    other = trainer_of(&p, &o);
    CHECK_STATUS(LOCUS_OK, one_epoch(other, NULL));
    before = state_of(other);
    for (i = 0; i < 13; i++) {
        locus_status s;
        context("change %zu", i);
        t = trainer_of(&p, &o);
        CHECK_STATUS(LOCUS_OK, one_epoch(t, NULL));
        CHECK_STATUS(LOCUS_OK, one_epoch(t, NULL));
        switch (i) {
        case 1: t->theta[3] = 1.5e6f; break;
        case 2: t->average[3] = -1.5e6f; break;
        case 3: t->best[3] = 1e30f; break;
        case 4: t->v[3] = -1e-3f; break;
        case 5: t->v[3] = in_v; break;
        case 6: t->m[3] = f_inf(); break;
        case 7: t->epoch = o.epochs + 1; break;
        case 8: t->best_epoch = 3; break;
        case 9: t->best_value = (double)f_nan(); break;
        case 10: t->best_value = -(double)f_inf(); break;
        case 11: t->m[3] = -1e20f; break; // these two may be
        case 12: t->v[3] = 0.0f; break;
        default: break;
        }
        CHECK_STATUS(LOCUS_OK, locus_train_save_state(t, path, &g_err));
        s = locus_train_load_state(other, path, &g_err);
        CHECK_GOT(i == 0 || i > 10 ? LOCUS_OK : LOCUS_ERR_MISMATCH, s);
        if (i > 0 && i < 11) CHECK_STATE("after a refusal", &before, other);
        locus_train_destroy(t);
        if (!s) {
            locus_train_destroy(other);
            other = trainer_of(&p, &o);
            CHECK_STATUS(LOCUS_OK, one_epoch(other, NULL));
        }
    }
    remove(path);
    free(before.v);
    locus_train_destroy(other);
    problem_free(&p);
}

// `epochs` are steps at most.
static void no_epoch_follows_the_last(void)
{
    problem p;
    locus_train_opts o = small_opts(LOCUS_RECIPE_BEST);
    locus_trainer *t;
    state end;
    problem_make(&p, 40, 6, 4, BINARY_ONLY, 9);
    t = trainer_of(&p, &o);
    CHECK_STATUS(LOCUS_OK, locus_train_run(t, &g_err));
    CHECK_SIZE(o.epochs, t->epoch);
    end = state_of(t);
    CHECK_STATUS(LOCUS_OK, locus_train_run(t, &g_err));
    CHECK_STATE("after the last", &end, t);
    free(end.v);
    locus_train_destroy(t);
    problem_free(&p);
}

// ---------------------------------------------------------------------------------------------------- the course

typedef struct watcher {
    size_t calls, stop_at, gradients, cancel_at;
    locus_epoch epoch[400];
    int mode; // of the gradient hook
    double pairs, norm;
    size_t count, at_epoch;
    float *copy, *add;
} watcher;

static int watch_epoch(void *user, const locus_epoch *e)
{
    watcher *w = (watcher *)user;
    if (w->calls < 400) w->epoch[w->calls] = *e;
    return ++w->calls == w->stop_at;
}

enum { LOOK, ZEROS, COPY, REPLACE, POISON };

static int watch_gradient(void *user, const locus_gradient *g)
{
    watcher *w = (watcher *)user;
    size_t i;
    w->pairs = g->pairs, w->count = g->count, w->at_epoch = g->epoch;
    w->norm = 0.0;
    for (i = 0; i < g->count; i++) w->norm += (double)g->gradient[i] * (double)g->gradient[i];
    if (w->mode == ZEROS) memset(g->gradient, 0, g->count * sizeof(float));
    if (w->mode == COPY) memcpy(w->copy, g->gradient, g->count * sizeof(float));
    if (w->mode == REPLACE) memcpy(g->gradient, w->copy, g->count * sizeof(float));
    if (w->mode == POISON && w->gradients >= 2) g->gradient[3] = f_nan();
    return ++w->gradients == w->cancel_at;
}

static void callbacks_stop_training_and_it_goes_on(void)
{
    locus_train_opts o = small_opts(LOCUS_RECIPE_BEST);
    problem p;
    locus_trainer *whole, *t;
    state end;
    watcher w;
    size_t k;
    problem_make(&p, 60, 6, 5, MISSING, 8);
    whole = trainer_of(&p, &o);
    CHECK_STATUS(LOCUS_OK, locus_train_run(whole, &g_err));
    end = state_of(whole);
    for (k = 1; k <= o.epochs; k++) {
        const char *path = temp_path("stopped.safetensors");
        locus_net *net = NULL;
        size_t i;
        context("stopped in epoch %zu", k);
        ZERO(w);
        w.stop_at = k;
        w.cancel_at = k;
        g_run.user = &w;
        o.on_epoch = watch_epoch;
        o.on_gradient = NULL;
        t = trainer_of(&p, &o);
        CHECK_STATUS(LOCUS_ERR_CANCELLED, locus_train_run(t, &g_err));
        CHECK_SIZE(k, w.calls);
        CHECK_SIZE(k, t->epoch);
        for (i = 0; i < k; i++) {
            CHECK_SIZE(i + 1, w.epoch[i].epoch);
            CHECK_SIZE(7, w.epoch[i].epochs);
            CHECK_SIZE((i + 1) % 2 == 0 || i + 1 == 7, (size_t)w.epoch[i].evaluated);
            CHECK(w.epoch[i].loss > 0.0 && w.epoch[i].loss < 3.0 && w.epoch[i].gradient_norm > 0.0);
            if (w.epoch[i].evaluated) CHECK_SIZE(p.validation_count, w.epoch[i].metrics.queries);
        }
        CHECK_STATUS(LOCUS_OK, locus_train_save(t, path, &g_err)); // the best weights so far are whole
        CHECK_STATUS(LOCUS_OK, locus_net_open(&net, path, NULL, &g_err));
        locus_net_destroy(net);
        remove(path);
        CHECK_STATUS(LOCUS_OK, locus_train_run(t, &g_err));
        CHECK_STATE("went on", &end, t);
        locus_train_destroy(t);
        // the same with the gradient hook, before the step
        o.on_epoch = NULL;
        o.on_gradient = watch_gradient;
        t = trainer_of(&p, &o);
        CHECK_STATUS(LOCUS_ERR_CANCELLED, locus_train_run(t, &g_err));
        CHECK_SIZE(k - 1, t->epoch);
        CHECK_SIZE(k, w.at_epoch);
        CHECK_STATUS(LOCUS_OK, locus_train_run(t, &g_err));
        CHECK_STATE("went on after the hook", &end, t);
        locus_train_destroy(t);
    }
    free(end.v);
    locus_train_destroy(whole);
    problem_free(&p);
}

static void recipes_are_as_specified(void)
{
    problem p;
    locus_train_opts o, r;
    locus_trainer *t;
    problem_make(&p, 60, 6, 5, BINARY_ONLY, 8);
    ZERO(o);
    o.recipe = LOCUS_RECIPE_PAPER; // method.md, "Training"
    t = trainer_of(&p, &o);
    r = locus_train_options(t);
    CHECK_SIZE(128, r.z_dim), CHECK_SIZE(4, r.n_heads), CHECK_SIZE(2, r.n_layers), CHECK_SIZE(64, r.m_induce);
    CHECK_SIZE(64, r.decoder_hidden);
    CHECK_SIZE(2500, r.epochs), CHECK_SIZE(500, r.patience), CHECK_SIZE(1, r.evaluate_every);
    CHECK_SIZE(LOCUS_KEEP_HIT1, (size_t)r.keep);
    CHECK_NEAR(0.0, r.average, 0.0), CHECK_NEAR(2e-4, r.encoder_rate, 0.0), CHECK_NEAR(8e-4, r.predictor_rate, 0.0);
    CHECK_NEAR(0.05, r.weight_decay, 0.0), CHECK_NEAR(1.0, r.clip, 0.0), CHECK_NEAR(0.1, r.dropout, 0.0);
    CHECK_NEAR(0.1, r.noise, 0.0), CHECK_NEAR(0.0, r.skew, 0.0), CHECK_NEAR(1.0, r.seen, 0.0);
    CHECK_SIZE(p.train_count, r.subset_min), CHECK_SIZE(p.train_count, r.subset_max),
        CHECK_SIZE(p.train_count, r.targets);
    CHECK_SIZE(0, r.virtual_models), CHECK_SIZE(1, (size_t)r.separate_noise);
    { // noise: a cosine from 0.10 to 0.05 over 500 epochs; rates constant
        static const size_t at[] = {0, 125, 250, 375, 500, 501, 2499};
        size_t i;
        for (i = 0; i < COUNT(at); i++) {
            double x = at[i] < 500 ? (double)at[i] / 500.0 : 1.0;
            t->epoch = at[i];
            context("epoch %zu", at[i]);
            CHECK_NEAR(0.05 + 0.05 * (1.0 + cos(3.14159265358979 * x)) / 2.0, (double)locusi_train_deviation(t), 1e-7);
            CHECK_NEAR(2e-4, locusi_train_rate(t, r.encoder_rate), 1e-12);
        }
        g_context[0] = 0;
    }
    locus_train_destroy(t);
    ZERO(o); // the header's table
    t = trainer_of(&p, &o);
    r = locus_train_options(t);
    CHECK_SIZE(128, r.z_dim), CHECK_SIZE(4, r.n_heads), CHECK_SIZE(1, r.n_layers), CHECK_SIZE(16, r.m_induce);
    CHECK_SIZE(64, r.decoder_hidden), CHECK_SIZE(p.train_count < 128 ? 150 : 300, r.epochs),
        CHECK_SIZE(SIZE_MAX, r.patience);
    CHECK_SIZE(20, r.evaluate_every), CHECK_SIZE(LOCUS_KEEP_BCE, (size_t)r.keep), CHECK_NEAR(0.95, r.average, 0.0);
    CHECK_NEAR(1e-3, r.encoder_rate, 0.0), CHECK_NEAR(2e-3, r.predictor_rate, 0.0), CHECK_SIZE(10, (size_t)r.warmup);
    CHECK_NEAR(0.05, r.weight_decay, 0.0), CHECK_NEAR(1.0, r.clip, 0.0), CHECK_NEAR(0.1, r.dropout, 0.0);
    CHECK_NEAR(0.05, r.noise, 0.0), CHECK_NEAR(0.3, r.skew, 0.0), CHECK_NEAR(0.25, r.seen, 0.0);
    CHECK_SIZE(16, r.subset_min), CHECK_SIZE((3 * p.train_count + 3) / 4, r.subset_max); // 3/4 of the training rows
    CHECK_SIZE(p.train_count, r.targets), CHECK_SIZE(26, r.virtual_models), CHECK_SIZE(0, (size_t)r.separate_noise);
    t->epoch = 4; // warm-up: half of it
    CHECK_NEAR(0.5 * (0.02 + 0.98 * (1.0 + cos(3.14159265358979 * 5.0 / 150.0)) / 2.0), locusi_train_rate(t, 1.0),
               1e-9);
    t->epoch = 74; // the cosine's middle
    CHECK_NEAR(0.51, locusi_train_rate(t, 1.0), 1e-9);
    t->epoch = 149;
    CHECK_NEAR(0.02, locusi_train_rate(t, 1.0), 1e-9);
    locus_train_destroy(t);
    o.average = -1.0, o.weight_decay = -1.0, o.clip = -1.0, o.dropout = -1.0, o.noise = -1.0, o.skew = -1.0;
    o.virtual_models = SIZE_MAX; // negative numbers: none
    o.seen = -1.0;
    t = trainer_of(&p, &o);
    r = locus_train_options(t);
    CHECK_NEAR(0.0, fabs(r.average) + fabs(r.weight_decay) + fabs(r.clip) + fabs(r.dropout) + fabs(r.noise), 0.0);
    CHECK_NEAR(0.0, fabs(r.skew) + fabs(r.seen), 0.0);
    CHECK_SIZE(0, r.virtual_models);
    locus_train_destroy(t);
    problem_free(&p);
}

static void best_weights_and_patience_follow_the_rules(void)
{
    static const locus_keep keeps[] = {LOCUS_KEEP_BCE, LOCUS_KEEP_HIT1, LOCUS_KEEP_LAST};
    problem p;
    size_t k, i, round;
    problem_make(&p, 80, 6, 5, MISSING, 18);
    for (round = 0; round < 2; round++) // with and without a running mean of the weights
        for (k = 0; k < COUNT(keeps); k++) {
            locus_train_opts o = small_opts(LOCUS_RECIPE_BEST);
            locus_trainer *t;
            watcher *w = (watcher *)xmalloc(sizeof *w);
            float *kept = NULL, *mean;
            double best = 0.0;
            size_t best_epoch = 0, count;
            ZERO(*w);
            context("keep %d, round %zu", (int)keeps[k], round);
            o.keep = keeps[k], o.epochs = 60, o.evaluate_every = 3, o.patience = 12;
            o.average = round ? -1.0 : 0.8;
            o.encoder_rate = 5e-3, o.predictor_rate = 1e-2; // quick enough to overfit
            g_run.user = w, o.on_epoch = watch_epoch;
            t = trainer_of(&p, &o);
            count = t->count;
            kept = floats(count), mean = floats(count);
            memcpy(mean, t->theta, count * sizeof(float));
            for (i = 0; !t->finished && i < 100; i++) {
                locus_epoch e;
                size_t j;
                int better;
                CHECK_STATUS(LOCUS_OK, one_epoch(t, &e));
                for (j = 0; j < count; j++) { // what is evaluated and kept
                    double n = (double)e.epoch, a = round ? 0.0 : n / (n + 9.0) < 0.8 ? n / (n + 9.0) : 0.8;
                    mean[j] = (float)(a * (double)mean[j] + (1.0 - a) * (double)t->theta[j]);
                }
                CHECK_SIZE(e.epoch % 3 == 0 || e.epoch == 60, (size_t)e.evaluated);
                better = keeps[k] == LOCUS_KEEP_LAST;
                if (e.evaluated && keeps[k] != LOCUS_KEEP_LAST) {
                    double value = keeps[k] == LOCUS_KEEP_BCE ? -e.metrics.bce : e.metrics.hit1;
                    better = best_epoch == 0 || value > best;
                    if (better) best = value;
                }
                CHECK_SIZE((size_t)better, (size_t)e.best);
                if (better) {
                    best_epoch = e.epoch;
                    memcpy(kept, mean, count * sizeof(float));
                }
                CHECK_SIZE(best_epoch, e.best_epoch);
                for (j = 0; best_epoch && j < count; j++)
                    if (fabs((double)kept[j] - (double)t->best[j]) > 1e-5 * (1.0 + fabs((double)kept[j]))) break;
                if (best_epoch) CHECK_SIZE(count, j);
                CHECK_SIZE(e.epoch == 60 || e.epoch >= best_epoch + 12, (size_t)t->finished);
            }
            CHECK(t->finished);
            CHECK(keeps[k] == LOCUS_KEEP_LAST ? t->epoch == 60 : t->epoch < 60 || t->best_epoch > 48);
            if (keeps[k] == LOCUS_KEEP_BCE) CHECK(t->epoch < 60); // else patience was not tried
            i = t->epoch;
            CHECK_STATUS(LOCUS_OK, locus_train_run(t, &g_err)); // nothing left to do
            CHECK_SIZE(i, t->epoch);
            free(kept), free(mean), free(w);
            locus_train_destroy(t);
        }
    { // without validation rows the last are kept
        locus_train_opts o = small_opts(LOCUS_RECIPE_PAPER);
        locus_trainer *t;
        context("no validation");
        p.data.validation_count = 0;
        t = trainer_of(&p, &o);
        CHECK_SIZE(LOCUS_KEEP_LAST, (size_t)locus_train_options(t).keep);
        CHECK_STATUS(LOCUS_OK, locus_train_run(t, &g_err));
        CHECK_SIZE(7, t->best_epoch);
        CHECK_SAME("last weights", t->theta, t->best, t->count);
        locus_train_destroy(t);
    }
    problem_free(&p);
}

static void subsets_are_drawn_as_asked(void)
{
    locus_train_opts o = small_opts(LOCUS_RECIPE_BEST);
    problem p;
    locus_trainer *t;
    size_t skew, e, i, n;
    double crowd[2] = {0.0, 0.0};
    problem_make(&p, 300, 6, 4, BINARY_ONLY, 5);
    for (skew = 0; skew < 2; skew++) {
        size_t small = 0, most = 0, least = 10000, wrong = 0, *hit = (size_t *)xmalloc(p.n * sizeof(size_t));
        double sides = 0.0;
        o.subset_min = 4, o.subset_max = 100;
        o.skew = skew ? 1.0 : -1.0;
        t = trainer_of(&p, &o);
        n = p.train_count;
        for (e = 0; e < 400; e++) {
            size_t count, one = 0;
            t->epoch = e;
            count = locusi_train_subset(t);
            memset(hit, 0, n * sizeof(size_t));
            for (i = 0; i < n; i++) wrong += t->order[i] >= n || hit[t->order[i]]++;
            wrong += count < 4 || count > 100;
            if (count > most) most = count;
            if (count < least) least = count;
            small += count < 20; // the middle of log 4 .. log 100
            for (i = 0; i < count; i++) one += p.q[p.train[t->order[i]] * p.D] > 0.0f;
            sides += fabs((double)one / (double)count - 0.5) / 400.0;
        }
        crowd[skew] = sides;
        CHECK_SIZE(0, wrong);
        CHECK(least <= 5 && most >= 90);
        CHECK_NEAR(200.0, (double)small, 50.0);
        free(hit);
        locus_train_destroy(t);
    }
    CHECK(crowd[1] > crowd[0] + 0.1);
    problem_free(&p);
}

// ---------------------------------------------------------------------------------------------------- gradient hook

static void gradient_hook_sees_and_changes_the_gradient(void)
{
    locus_train_opts o = small_opts(LOCUS_RECIPE_BEST);
    problem p;
    locus_trainer *t;
    locus_epoch e;
    watcher w;
    state before, plain;
    problem_make(&p, 60, 6, 5, MISSING, 8);
    ZERO(w);
    t = trainer_of(&p, &o);
    CHECK_STATUS(LOCUS_OK, one_epoch(t, NULL));
    plain = state_of(t);
    locus_train_destroy(t);
    g_run.user = &w, o.on_gradient = watch_gradient;
    t = trainer_of(&p, &o);
    w.copy = floats(t->count);
    w.mode = COPY;
    CHECK_STATUS(LOCUS_OK, one_epoch(t, &e));
    CHECK_STATE("a hook that looks on", &plain, t);
    CHECK_SIZE(t->count, w.count);
    CHECK_SIZE(1, w.at_epoch);
    CHECK_NEAR(e.gradient_norm, sqrt(w.norm), 1e-5 * e.gradient_norm);
    CHECK(w.pairs > 1.0 && w.pairs <= 5.0 * 20.0);
    check_pads(t, w.copy, "pads of the gradient that are not 0");
    locus_train_destroy(t);
    { // the loss that is reported is that of the real targets: it does not depend on virtual models
        locus_epoch alone;
        o.on_gradient = NULL;
        o.virtual_models = SIZE_MAX;
        t = trainer_of(&p, &o);
        CHECK_STATUS(LOCUS_OK, one_epoch(t, &alone));
        CHECK_NEAR(alone.loss, e.loss, 1e-6);
        CHECK(fabs(alone.gradient_norm - e.gradient_norm) > 1e-4);
        locus_train_destroy(t);
        o.on_gradient = watch_gradient;
        o.virtual_models = 3;
    }
    // no gradient, no decay: the weights stay
    w.mode = ZEROS;
    o.weight_decay = -1.0;
    t = trainer_of(&p, &o);
    before = state_of(t);
    CHECK_STATUS(LOCUS_OK, locus_train_run(t, &g_err));
    CHECK_SAME("weights of steps without gradient", before.v, t->theta, before.count);
    locus_train_destroy(t);
    // no gradient, decay alone: each step shrinks them by rate x decay
    o.recipe = LOCUS_RECIPE_PAPER;
    o.weight_decay = 0.5, o.encoder_rate = 0.1, o.predictor_rate = 0.2;
    t = trainer_of(&p, &o);
    CHECK_STATUS(LOCUS_OK, one_epoch(t, NULL));
    CHECK_NEAR((double)plain.v[t->params[LOCUSI_A].at] * 0.0 + (double)before.v[t->params[LOCUSI_A].at] * 0.95,
               (double)t->theta[t->params[LOCUSI_A].at], 1e-6);
    CHECK_NEAR((double)before.v[t->rest[LOCUSI_U].at] * 0.9, (double)t->theta[t->rest[LOCUSI_U].at], 1e-6);
    locus_train_destroy(t);
    free(before.v), free(plain.v), free(w.copy);
    problem_free(&p);
}

// Data-parallel: the sum of the parts' gradients is the whole's, with dropout, noise and virtual models; and processes
// that exchange them through the hook stay together with a single one.
static void gradients_of_parts_make_the_whole(void)
{
    size_t variant;
    for (variant = 0; variant < 6; variant++) {
        const size_t parts = variant >= 4 ? 7 : 2 + variant % 2; // 7: more parts than models
        locus_train_opts o = small_opts(variant < 3 || variant == 5 ? LOCUS_RECIPE_BEST : LOCUS_RECIPE_PAPER);
        problem p;
        locus_trainer *whole, *t[7];
        watcher all, w[7];
        size_t i, k, step;
        double *mean, pairs, top = 0.0, error = 0.0;
        problem_make(&p, 60, 6, 5, MISSING, 8);
        context("variant %zu, %zu parts", variant, parts);
        if (variant % 5 == 0) o.virtual_models = SIZE_MAX; // dropout is on in all
        ZERO(all);
        g_run.user = &all, o.on_gradient = watch_gradient;
        whole = trainer_of(&p, &o);
        all.mode = COPY, all.copy = floats(whole->count);
        mean = ref_alloc(whole->count);
        for (k = 0; k < parts; k++) {
            ZERO(w[k]);
            w[k].copy = floats(whole->count);
            g_run.user = &w[k], o.part = k, o.parts = parts;
            t[k] = trainer_of(&p, &o);
        }
        for (step = 0; step < 4; step++) {
            locus_epoch e, e_part;
            state same;
            CHECK_STATUS(LOCUS_OK, one_epoch(whole, &e));
            memset(mean, 0, whole->count * sizeof(double));
            pairs = 0.0;
            for (k = 0; k < parts; k++) { // see the gradient, then cancel: the step is made below
                w[k].mode = COPY, w[k].gradients = 0, w[k].cancel_at = 1;
                CHECK_STATUS(LOCUS_ERR_CANCELLED, one_epoch(t[k], NULL));
                pairs += w[k].pairs;
                for (i = 0; i < all.count; i++) mean[i] += (double)w[k].copy[i];
                CHECK(k < p.M || w[k].pairs < 0.5); // a part without models has none
            }
            CHECK_NEAR(all.pairs, pairs, 1e-9);
            top = error = 0.0;
            for (i = 0; i < all.count; i++) {
                double x = fabs(mean[i] - (double)all.copy[i]);
                if (!(x <= error)) error = x;
                if (fabs((double)all.copy[i]) > top) top = fabs((double)all.copy[i]);
            }
            CHECK(top > 0.0);
            CHECK_NEAR(0.0, error, (step ? 1e-3 : 1e-5) * top);
            for (k = 0; k < parts; k++) {
                w[k].mode = REPLACE, w[k].cancel_at = 0;
                for (i = 0; i < all.count; i++) w[k].copy[i] = (float)(mean[i]);
                CHECK_STATUS(LOCUS_OK, one_epoch(t[k], &e_part));
                if (e.evaluated) CHECK_NEAR(e.metrics.bce, e_part.metrics.bce, 1e-4);
            }
            same = state_of(t[0]);
            for (k = 1; k < parts; k++) CHECK_STATE("all parts together", &same, t[k]);
            free(same.v);
        }
        for (k = 0; k < parts; k++) {
            locus_train_destroy(t[k]);
            free(w[k].copy);
        }
        locus_train_destroy(whole);
        free(all.copy), free(mean);
        problem_free(&p);
    }
}

// ---------------------------------------------------------------------------------------------------- divergence

static void divergence_is_reported_and_the_weights_are_kept(void)
{
    problem p;
    size_t k;
    problem_make(&p, 60, 6, 5, BINARY_ONLY, 8);
    { // a NaN that comes in through the hook in epoch 3
        locus_train_opts o = small_opts(LOCUS_RECIPE_BEST);
        locus_trainer *t;
        watcher w;
        state before;
        const char *path = temp_path("diverged.safetensors");
        locus_net *net = NULL;
        ZERO(w);
        w.mode = POISON;
        g_run.user = &w, o.on_gradient = watch_gradient;
        t = trainer_of(&p, &o);
        CHECK_STATUS(LOCUS_OK, one_epoch(t, NULL));
        CHECK_STATUS(LOCUS_OK, one_epoch(t, NULL));
        before = state_of(t);
        CHECK_STATUS(LOCUS_ERR_DIVERGED, locus_train_run(t, &g_err));
        CHECK_MESSAGE("epoch 3");
        CHECK_STATE("after a divergence", &before, t);
        CHECK_STATUS(LOCUS_OK, locus_train_save(t, path, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_net_open(&net, path, NULL, &g_err));
        locus_net_destroy(net);
        w.mode = LOOK; // and it can go on
        CHECK_STATUS(LOCUS_OK, locus_train_run(t, &g_err));
        CHECK_SIZE(7, t->epoch);
        remove(path);
        free(before.v);
        locus_train_destroy(t);
    }
    for (k = 0; k < 8; k++) { // rates that throw the weights away
        static const double rate[] = {1e5, 1e10, 1e20, 1e37};
        locus_train_opts o = small_opts(LOCUS_RECIPE_BEST);
        locus_trainer *t = NULL;
        locus_status s;
        const char *path = temp_path("diverged2.safetensors");
        locus_net *net = NULL;
        context("rate %g, %s", rate[k / 2], k % 2 ? "last" : "bce");
        o.encoder_rate = o.predictor_rate = rate[k / 2];
        o.weight_decay = -1.0;
        o.epochs = 40;
        o.keep = k % 2 ? LOCUS_KEEP_LAST : LOCUS_KEEP_BCE;
        s = locus_train_create(&t, &p.data, &o, NULL, &g_err);
        if (s != LOCUS_OK) {
            CHECK_GOT(LOCUS_ERR_ARGUMENT, s);
            continue;
        }
        s = locus_train_run(t, &g_err);
        if (rate[k / 2] > 1e15) CHECK_GOT(LOCUS_ERR_DIVERGED, s);
        else CHECK(s == LOCUS_OK || s == LOCUS_ERR_DIVERGED);
        if (s == LOCUS_ERR_DIVERGED) {
            char epoch[32];
            snprintf(epoch, sizeof epoch, "epoch %zu", t->epoch + 1);
            CHECK_MESSAGE(epoch);
        }
        // what is kept is whole: a file that can be written and read back
        CHECK_STATUS(LOCUS_OK, locus_train_save(t, path, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_net_open(&net, path, NULL, &g_err));
        locus_net_destroy(net);
        remove(path);
        locus_train_destroy(t);
    }
    problem_free(&p);
}

// ---------------------------------------------------------------------------------------------------- bad arguments

static void expect_refusal(int line, locus_status expected, const locus_train_data *d, const locus_train_opts *o,
                           const char *part)
{
    locus_trainer *t = (locus_trainer *)(void *)&t;
    long blocks = g_blocks;
    locus_status s = locus_train_create(&t, d, o, &g_run, &g_err);
    check_status(line, part, expected, s);
    if (s != LOCUS_OK) check_message(line, part);
    check_size(line, "trainer of a failure", 0, s != LOCUS_OK && t != NULL);
    if (s == LOCUS_OK) locus_train_destroy(t);
    check_size(line, "blocks left", (size_t)blocks, (size_t)g_blocks);
}

static void bad_arguments_are_refused(void)
{
    problem p;
    locus_train_opts o = small_opts(LOCUS_RECIPE_BEST), bad;
    locus_train_data d;
    locus_trainer *t = NULL;
    locus_net *net = NULL;
    const int odd = 7; // of no enumeration
    float was;
    size_t row, i;
    problem_make(&p, 60, 6, 5, MISSING, 8);
    d = p.data;
#define DATA(status, change, part)                                                                                     \
    d = p.data;                                                                                                        \
    change;                                                                                                            \
    expect_refusal(__LINE__, status, &d, &o, part)
#define OPTION(status, change, part)                                                                                   \
    bad = o;                                                                                                           \
    change;                                                                                                            \
    expect_refusal(__LINE__, status, &p.data, &bad, part)
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_train_create(NULL, &d, &o, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_train_create(&t, NULL, &o, NULL, &g_err));
    CHECK(t == NULL);
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_train_run(NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_train_save(NULL, "x", &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_train_save_state(NULL, "x", &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_train_load_state(NULL, "x", &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_train_net(NULL, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_train_net(&net, NULL, NULL, &g_err));
    CHECK_SIZE(0, locus_train_options(NULL).epochs);
    locus_train_destroy(NULL);
    DATA(LOCUS_ERR_ARGUMENT, d.evals.queries.encodings = NULL, "queries.encodings");
    DATA(LOCUS_ERR_QUERY_DIM, d.evals.queries.dim = 0, "queries.dim");
    DATA(LOCUS_ERR_QUERY_DIM, d.evals.queries.dim = 65537, "queries.dim");
    DATA(LOCUS_ERR_ARGUMENT, d.evals.queries.stride = 5, "queries.stride");
    DATA(LOCUS_ERR_ARGUMENT, d.evals.scores.f32 = NULL, "scores");
    DATA(LOCUS_ERR_ARGUMENT, d.evals.scores.u8 = p.u8, "scores");
    DATA(LOCUS_ERR_ARGUMENT, d.evals.scores.models = 0, "models");
    DATA(LOCUS_ERR_OVERFLOW, d.evals.scores.models = SIZE_MAX / 2, "scores");
    DATA(LOCUS_ERR_OVERFLOW, d.evals.queries.count = (size_t)UINT32_MAX + (sizeof(size_t) > 4), "scores");
    DATA(LOCUS_ERR_ARGUMENT, d.train = NULL, "train");
    DATA(LOCUS_ERR_ARGUMENT, d.train_count = 0, "train");
    DATA(LOCUS_ERR_ARGUMENT, d.validation = NULL, "validation");
    DATA(LOCUS_ERR_ARGUMENT, d.evals.queries.count = 59, "below 59"); // the lists name row 59
    DATA(LOCUS_ERR_ARGUMENT, d.query_encoder = "bad\nname", "query_encoder");
    DATA(LOCUS_ERR_ARGUMENT, d.query_encoder = "bad\xff name", "query_encoder");
    DATA(LOCUS_ERR_ARGUMENT,
         d.query_encoder = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
                           "12345",
         "query_encoder");
    for (i = 0; i < 3; i++) { // a row of each list that does not exist
        size_t *list = i == 0 ? p.train : i == 1 ? p.validation : p.unlabelled, kept = list[2];
        const char *name = i == 0 ? "train[2]" : i == 1 ? "validation[2]" : "unlabelled[2]";
        list[2] = 60;
        DATA(LOCUS_ERR_ARGUMENT, (void)0, name);
        list[2] = SIZE_MAX;
        DATA(LOCUS_ERR_ARGUMENT, (void)0, name);
        list[2] = kept;
        for (row = 0; row < 4; row++) { // encodings that are no numbers
            char where[40];
            float *x = &p.q[kept * p.D + 5];
            was = *x;
            *x = row == 0 ? f_nan() : row == 1 ? f_inf() : row == 2 ? -f_inf() : 2e6f;
            snprintf(where, sizeof where, "encodings[%zu, 5]", kept);
            DATA(LOCUS_ERR_NONFINITE, (void)0, where);
            *x = was;
        }
        if (i == 2) break; // no scores are looked at there
        for (row = 0; row < 4; row++) {
            char where[40];
            float *x = &p.y[3 * p.n + kept];
            was = *x;
            *x = row == 0 ? -0.01f : row == 1 ? 1.01f : row == 2 ? f_inf() : -f_inf();
            snprintf(where, sizeof where, "scores[3, %zu]", kept);
            DATA(LOCUS_ERR_SCORE, (void)0, where);
            *x = was;
        }
    }
    p.y[0 * p.n + p.unlabelled[1]] = 7.0f; // not looked at
    p.u8[1 * p.n + p.train[3]] = 2;
    DATA(LOCUS_ERR_SCORE, (d.evals.scores.f32 = NULL, d.evals.scores.u8 = p.u8), "scores[1, ");
    for (i = 0; i < p.train_count; i++) p.y[4 * p.n + p.train[i]] = f_nan();
    DATA(LOCUS_ERR_EMPTY_SET, (void)0, "model 4");
    problem_free(&p);
    problem_make(&p, 60, 6, 5, MISSING, 8);
    OPTION(LOCUS_ERR_METADATA, bad.n_heads = 5, "n_heads");
    OPTION(LOCUS_ERR_METADATA, bad.n_heads = 13, "n_heads");
    OPTION(LOCUS_ERR_ARGUMENT, bad.n_layers = 17, "n_layers");
    OPTION(LOCUS_ERR_ARGUMENT, (bad.z_dim = 4100, bad.n_heads = 1), "z_dim");
    OPTION(LOCUS_ERR_ARGUMENT, bad.m_induce = 4097, "m_induce");
    OPTION(LOCUS_ERR_ARGUMENT, bad.decoder_hidden = SIZE_MAX, "decoder_hidden");
    OPTION(LOCUS_ERR_ARGUMENT, bad.dropout = 1.0, "dropout");
    OPTION(LOCUS_ERR_ARGUMENT, bad.average = 1.0, "average");
    OPTION(LOCUS_ERR_ARGUMENT, bad.seen = 1.5, "seen");
    OPTION(LOCUS_ERR_ARGUMENT, bad.skew = 1.5, "skew");
    OPTION(LOCUS_ERR_ARGUMENT, (bad.part = 2, bad.parts = 2), "part");
    OPTION(LOCUS_ERR_ARGUMENT, bad.part = 1, "part");
    g_run.isa = LOCUS_ISA_COUNT;
    OPTION(LOCUS_ERR_ISA, (void)0, "");
    g_run.isa = LOCUS_ISA_AUTO;
    OPTION(LOCUS_ERR_ARGUMENT, memcpy(&bad.recipe, &odd, sizeof bad.recipe), "recipe");
    OPTION(LOCUS_ERR_ARGUMENT, memcpy(&bad.keep, &odd, sizeof bad.keep), "keep");
    OPTION(LOCUS_ERR_ARGUMENT, bad.encoder_rate = (double)f_inf(), "encoder_rate");
    OPTION(LOCUS_ERR_ARGUMENT, bad.predictor_rate = (double)f_inf(), "predictor_rate");
    OPTION(LOCUS_ERR_ARGUMENT, bad.weight_decay = (double)f_inf(), "weight_decay");
    OPTION(LOCUS_ERR_ARGUMENT, bad.noise = (double)f_inf(), "noise");
    for (i = 0; i < 9; i++) { // NaN is no recipe's value
        context("NaN %zu", i);
        bad = o;
        *(i == 0   ? &bad.average
          : i == 1 ? &bad.encoder_rate
          : i == 2 ? &bad.predictor_rate
          : i == 3 ? &bad.weight_decay
          : i == 4 ? &bad.clip
          : i == 5 ? &bad.dropout
          : i == 6 ? &bad.noise
          : i == 7 ? &bad.skew
                   : &bad.seen) = (double)f_nan();
        expect_refusal(__LINE__, LOCUS_ERR_ARGUMENT, &p.data, &bad, "nan");
    }
    context("%s", "");
    OPTION(LOCUS_ERR_OVERFLOW, bad.virtual_models = SIZE_MAX / 3, "memory");
#undef DATA
#undef OPTION
    problem_free(&p);
}

// Sizes of 1, equal queries, all right, all wrong, zero encodings, very long and very short ones: trained or refused,
// never anything that is not finite.
static void extreme_data_is_survived(void)
{
    size_t i, k;
    for (i = 0; i < 14; i++) {
        locus_train_opts o = small_opts(i % 2 ? LOCUS_RECIPE_PAPER : LOCUS_RECIPE_BEST);
        problem p;
        locus_trainer *t = NULL;
        locus_net *net = NULL;
        locus_status s;
        problem_make(&p, 40, i == 8 ? 1 : 6, i == 9 ? 1 : 4, BINARY_ONLY, 8);
        context("case %zu", i);
        if (i < 2) p.data.train_count = 1, p.data.unlabelled = NULL;
        for (k = 0; k < p.n * p.D && i >= 2 && i < 4; k++) p.q[k] = 0.0f;
        for (k = 0; k < p.n * p.D && i >= 4 && i < 6; k++) p.q[k] = p.q[k % p.D];
        for (k = 0; k < p.n * p.M && i >= 4 && i < 8; k++) p.y[k] = i % 4 < 2 ? 1.0f : 0.0f;
        for (k = 0; k < p.n * p.D && i >= 10; k++) p.q[k] *= i < 12 ? 1e5f : 1e-18f;
        if (i == 9) p.data.validation_count = 1;
        s = locus_train_create(&t, &p.data, &o, NULL, &g_err);
        if (CHECK_GOT(LOCUS_OK, s)) {
            CHECK_STATUS(LOCUS_OK, locus_train_run(t, &g_err));
            for (k = 0; k < t->count; k++)
                if (!(fabs((double)t->best[k]) < 1e6)) break;
            CHECK_SIZE(t->count, k);
            CHECK_STATUS(LOCUS_OK, locus_train_net(&net, t, NULL, &g_err));
            locus_net_destroy(net);
        }
        locus_train_destroy(t);
        problem_free(&p);
    }
}

// ---------------------------------------------------------------------------------------------------- out of memory

static void trainers_survive_failing_allocations(void)
{
    int what;
    problem p;
    locus_train_opts o = small_opts(LOCUS_RECIPE_BEST);
    locus_trainer *made = NULL;
    const char *path = temp_path("oom.safetensors");
    problem_make(&p, 40, 6, 4, BINARY_ONLY, 8);
    made = trainer_of(&p, &o);
    {
        size_t before = g_mallocs;
        CHECK_STATUS(LOCUS_OK, locus_train_run(made, &g_err));
        CHECK_SIZE(before, g_mallocs); // all buffers at creation
    }
    for (what = 0; what < 5; what++) {
        size_t n;
        int done = 0;
        for (n = 1; !done && n < 100; n++) {
            long blocks = g_blocks;
            locus_trainer *t = (locus_trainer *)(void *)&p;
            locus_net *net = (locus_net *)(void *)&p;
            state before = state_of(made);
            locus_status s;
            context("call %d, allocation %zu", what, n);
            g_failed_mallocs = 0;
            g_fail_at = n;
            s = what == 0   ? locus_train_create(&t, &p.data, &o, NULL, &g_err)
                : what == 1 ? locus_train_net(&net, made, NULL, &g_err)
                : what == 2 ? locus_train_save(made, path, &g_err)
                : what == 3 ? locus_train_save_state(made, path, &g_err)
                            : locus_train_load_state(made, path, &g_err);
            g_fail_at = 0;
            done = !g_failed_mallocs;
            CHECK_GOT(done ? LOCUS_OK : LOCUS_ERR_MEMORY, s);
            CHECK_STATE("the trainer", &before, made);
            free(before.v);
            if (what == 0) {
                CHECK(done ? t != NULL : t == NULL);
                if (done) locus_train_destroy(t);
            }
            if (what == 1) {
                CHECK(done ? net != NULL : net == NULL);
                if (done) locus_net_destroy(net);
            }
            if (what == 3 && !done) {
                FILE *f = fopen(path, "rb"); // of what == 2: whole, or not touched
                CHECK(f != NULL);
                if (f) fclose(f);
            }
            CHECK_SIZE((size_t)blocks, (size_t)g_blocks);
        }
        CHECK(done && (n > 2 || what >= 2)); // saving may do without
    }
    remove(path);
    locus_train_destroy(made);
    problem_free(&p);
}

// In the caller's memory: exactly what it says, nothing around it, and the same weights.
static void trainers_work_in_given_memory(void)
{
    int recipe;
    for (recipe = 0; recipe < 2; recipe++) {
        const locus_train_opts o = small_opts((locus_recipe)recipe);
        problem p;
        locus_trainer *t, *given = NULL;
        unsigned char *block = NULL;
        size_t tries, bytes = 1;
        state s;
        locus_status status = LOCUS_ERR_MEMORY;
        context("recipe %d", recipe);
        problem_make(&p, 60, 6, 5, MISSING, 8);
        t = trainer_of(&p, &o);
        for (tries = 0; status == LOCUS_ERR_MEMORY && tries < 4; tries++) {
            free(block);
            block = (unsigned char *)xmalloc(bytes + 2);
            memset(block, 0xa5, bytes + 2);
            g_run.memory = block + 1, g_run.memory_bytes = bytes;
            status = locus_train_create(&given, &p.data, &o, &g_run, &g_err);
            if (status) CHECK(given == NULL && g_err.bytes > bytes);
            if (status) bytes = g_err.bytes;
        }
        g_run.memory = NULL, g_run.memory_bytes = 0;
        if (CHECK_GOT(LOCUS_OK, status)) {
            const size_t before = g_mallocs;
            CHECK_STATUS(LOCUS_OK, locus_train_run(given, &g_err));
            CHECK_SIZE(before, g_mallocs);
            CHECK_STATUS(LOCUS_OK, locus_train_run(t, &g_err));
            s = state_of(t);
            CHECK_STATE("in given memory", &s, given);
            CHECK(block[0] == 0xa5 && block[bytes + 1] == 0xa5);
            free(s.v);
        }
        locus_train_destroy(given), locus_train_destroy(t);
        free(block);
        problem_free(&p);
    }
}

// ---------------------------------------------------------------------------------------------------- it learns

static void training_learns_and_the_saved_net_predicts_the_same(void)
{
    int recipe;
    for (recipe = 0; recipe < 2; recipe++) {
        const char *path = temp_path("learned.safetensors");
        locus_train_opts o;
        problem p;
        locus_trainer *t;
        locus_net *net = NULL, *same = NULL;
        locus_pool *pool;
        locus_evals e;
        locus_queries qv;
        locus_epoch last;
        float *q, *y, *z, *v, *logits, *enc;
        const size_t M = 8, D = 7;
        size_t i, j, m, n, V, epochs = g_quick ? 25 : 60;
        double worst_error = 0.0, right = 0.0, first = 0.0;
        locus_status s;
        ZERO(o);
        context("recipe %d", recipe);
        problem_make(&p, 200, D, M, BINARY_ONLY, 31);
        p.data.query_encoder = "three-letter words";
        o.recipe = (locus_recipe)recipe;
        o.seed = 3, o.z_dim = 16, o.n_heads = 2, o.m_induce = 4, o.decoder_hidden = 16, o.epochs = epochs;
        o.encoder_rate = o.predictor_rate = 5e-3;
        o.evaluate_every = 1, o.warmup = 3, o.average = recipe ? -1.0 : 0.7, o.keep = LOCUS_KEEP_LAST;
        t = trainer_of(&p, &o);
        for (i = 0; i < epochs; i++) {
            s = one_epoch(t, &last);
            CHECK_GOT(LOCUS_OK, s);
            if (i == 0) first = last.metrics.bce;
        }
        CHECK(last.evaluated);
        CHECK(last.metrics.bce < 0.55 && last.metrics.bce < first - 0.1);
        CHECK(last.metrics.prediction_accuracy > 0.8);
        CHECK(last.metrics.hit1 > 0.8);
        CHECK(last.metrics.hit1 > last.metrics.best_single + 0.15);
        CHECK_STATUS(LOCUS_OK, locus_train_save(t, path, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_net_open(&net, path, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_train_net(&same, t, NULL, &g_err));
        CHECK(locus_net_get_info(net).hash == locus_net_get_info(same).hash);
        CHECK_TEXT("three-letter words", locus_net_get_info(net).query_encoder);
        CHECK_SIZE(16, locus_net_get_info(net).z_dim);
        CHECK_SIZE(2, locus_net_get_info(net).n_heads);
        CHECK_SIZE(recipe ? 2 : 1, locus_net_get_info(net).n_layers);
        CHECK_SIZE(16, locus_net_get_info(net).decoder_hidden);
        CHECK_SIZE(D, locus_net_get_info(net).q_dim);
        CHECK_SIZE(LOCUS_ISAB, (size_t)locus_net_get_info(net).encoder_kind);
        // the raw encodings through the saved net: the trainer's scale is in the weights
        n = p.train_count, V = p.validation_count;
        q = floats(n * D), y = floats(M * n), z = floats(M * 16), v = floats(V * D), logits = floats(V * M);
        for (i = 0; i < n; i++) {
            memcpy(q + i * D, p.q + p.train[i] * D, D * sizeof(float));
            for (m = 0; m < M; m++) y[m * n + i] = p.y[m * p.n + p.train[i]];
        }
        for (i = 0; i < V; i++) memcpy(v + i * D, p.q + p.validation[i] * D, D * sizeof(float));
        ZERO(e);
        e.queries = queries_of(q, n, D), e.scores.models = M, e.scores.f32 = y;
        CHECK_STATUS(LOCUS_OK, locus_encode(net, &e, z, LOCUS_ENCODE_AUTO, NULL, &g_err));
        pool = pool_of(net, z, M);
        qv = queries_of(v, V, D);
        CHECK_STATUS(LOCUS_OK, predict(pool, &qv, logits, NULL));
        enc = t->logits; // [validation, M] of the last evaluation
        for (i = 0; i < V * M; i++) {
            double x = fabs((double)logits[i] - (double)enc[i]);
            if (!(x <= worst_error)) worst_error = x;
        }
        CHECK_NEAR(0.0, worst_error, 1e-4);
        for (i = 0; i < V; i++) {
            size_t best = 0;
            for (j = 1; j < M; j++)
                if (logits[i * M + j] > logits[i * M + best]) best = j;
            right += p.y[best * p.n + p.validation[i]] > 0.5f;
        }
        CHECK_NEAR(last.metrics.hit1, right / (double)V, 1e-12);
        locus_pool_destroy(pool);
        locus_net_destroy(net), locus_net_destroy(same);
        locus_train_destroy(t);
        remove(path);
        free(q), free(y), free(z), free(v), free(logits);
        problem_free(&p);
    }
}

// The share of the memory's chances in the mixture with the net's that has the least squared error on the validation
// queries, drawn to 0.8 as by twenty queries.
static double weight_by_hand(const problem *p, const locus_net *net)
{
    const size_t M = p->M, D = p->D, n = p->train_count, V = p->validation_count, U = p->data.unlabelled_count;
    const size_t d = locus_net_get_info(net).z_dim;
    float *q = floats(n * D), *y = floats(M * n), *z = floats(M * d), *v = floats(V * D), *u = floats((U + 1) * D);
    float *net_says = floats(V * M), *memory_says = floats(V * M);
    double up = 0.0, down = 0.0;
    locus_pool *pool;
    locus_learn_opts o;
    locus_evals e;
    locus_queries asked;
    size_t i, m;
    for (i = 0; i < n; i++) {
        memcpy(q + i * D, p->q + p->train[i] * D, D * sizeof(float));
        for (m = 0; m < M; m++) y[m * n + i] = p->y[m * p->n + p->train[i]];
    }
    for (i = 0; i < V; i++) memcpy(v + i * D, p->q + p->validation[i] * D, D * sizeof(float));
    for (i = 0; i < U; i++) memcpy(u + i * D, p->q + p->unlabelled[i] * D, D * sizeof(float));
    ZERO(e);
    e.queries = queries_of(q, n, D), e.scores.models = M, e.scores.f32 = y;
    CHECK_STATUS(LOCUS_OK, locus_encode(net, &e, z, LOCUS_ENCODE_AUTO, NULL, &g_err));
    pool = pool_of(net, z, M);
    asked = queries_of(v, V, D);
    CHECK_STATUS(LOCUS_OK, predict(pool, &asked, net_says, NULL));
    ZERO(o);
    o.recall_weight = 1.0;
    if (U) o.unlabelled = queries_of(u, U, D);
    CHECK_STATUS(LOCUS_OK, learn_recall(pool, &e, &o, &g_err));
    CHECK_STATUS(LOCUS_OK, predict(pool, &asked, memory_says, NULL));
    for (i = 0; i < V; i++)
        for (m = 0; m < M; m++) {
            const double score = (double)p->y[m * p->n + p->validation[i]];
            const double a = 1.0 / (1.0 + exp(-(double)net_says[i * M + m]));
            const double more = 1.0 / (1.0 + exp(-(double)memory_says[i * M + m])) - a;
            if (score != score) continue;
            up += more * (score - a), down += more * more;
        }
    locus_pool_destroy(pool);
    free(q), free(y), free(z), free(v), free(u), free(net_says), free(memory_says);
    up = (up / down * (double)V + 0.8 * 20.0) / ((double)V + 20.0);
    return up < 0.01 ? 0.01 : up > 1.0 ? 1.0 : up;
}

static double weight_in(const locus_trainer *t) // of the net that it saves
{
    const char *path = temp_path("weight.safetensors");
    locus_net *net = NULL, *same = NULL;
    double weight = -1.0;
    CHECK_STATUS(LOCUS_OK, locus_train_save(t, path, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_net_open(&net, path, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_train_net(&same, t, NULL, &g_err));
    if (net && same) {
        weight = locus_net_get_info(net).recall_weight;
        CHECK_NEAR(weight, locus_net_get_info(same).recall_weight, 0.0);
    }
    locus_net_destroy(net), locus_net_destroy(same);
    remove(path);
    return weight;
}

static void training_finds_the_weight_of_the_memory(void)
{
    char path[512]; // weight_in takes other paths
    double seen[8];
    size_t k, i, differ = 0;
    snprintf(path, sizeof path, "%s", temp_path("weight.state"));
    for (k = 0; k < 8; k++) { // nets that learned more or less, with and without unlabelled queries
        locus_train_opts o = small_opts(k == 7 ? LOCUS_RECIPE_PAPER : LOCUS_RECIPE_BEST);
        problem p;
        locus_trainer *t;
        locus_net *net = NULL;
        double expected;
        context("case %zu", k);
        problem_make(&p, k < 4 ? 60 : 160, 6, 5, k % 2 ? MISSING : BINARY_ONLY, 8 + k);
        if (k % 4 < 2) p.data.unlabelled_count = 0;
        if (k == 6) p.data.validation_count = 0;
        o.epochs = 1 + 6 * (k % 3);
        o.encoder_rate = o.predictor_rate = 5e-3, o.seed = 5 + k;
        t = trainer_of(&p, &o);
        CHECK_NEAR(0.0, weight_in(t), 0.0); // not known before training
        CHECK_STATUS(LOCUS_OK, locus_train_run(t, &g_err));
        seen[k] = weight_in(t);
        CHECK_STATUS(LOCUS_OK, locus_train_net(&net, t, NULL, &g_err));
        if (k >= 6) CHECK_NEAR(0.0, seen[k], 0.0); // no validation; no virtual models, so no memory either
        else {
            expected = weight_by_hand(&p, net);
            CHECK_NEAR(expected, seen[k], 0.0051); // whole percents
            for (i = 0; i < k; i++) differ += fabs(seen[i] - seen[k]) > 0.02;
        }
        locus_net_destroy(net);
        locus_train_destroy(t);
        problem_free(&p);
    }
    CHECK(differ >= 5);
    for (k = 0; k < 2 * 8; k++) { // stopped after any epoch and resumed: the same
        locus_train_opts o = small_opts(LOCUS_RECIPE_BEST);
        problem p;
        locus_trainer *t, *other;
        double before;
        context("keep %zu, stopped after %zu", k / 8, k % 8);
        o.encoder_rate = o.predictor_rate = 5e-3;
        if (k / 8) o.keep = LOCUS_KEEP_LAST;
        problem_make(&p, 60, 6, 5, MISSING, 8);
        t = trainer_of(&p, &o), other = trainer_of(&p, &o);
        for (i = 0; i < k % 8; i++) CHECK_STATUS(LOCUS_OK, one_epoch(t, NULL));
        CHECK_STATUS(LOCUS_OK, locus_train_save_state(t, path, &g_err));
        before = weight_in(t);
        CHECK(k % 8 % 2 || before > 0.0 || k % 8 == 0);
        CHECK_STATUS(LOCUS_OK, locus_train_run(other, &g_err)); // into a used trainer
        CHECK_STATUS(LOCUS_OK, locus_train_load_state(other, path, &g_err));
        CHECK_NEAR(before, weight_in(other), 0.0);
        CHECK_STATUS(LOCUS_OK, locus_train_run(t, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_train_run(other, &g_err));
        CHECK_NEAR(weight_in(t), weight_in(other), 0.0);
        CHECK(weight_in(t) > 0.0);
        locus_train_destroy(t), locus_train_destroy(other);
        problem_free(&p);
    }
    remove(path);
}

// The release's recipe does not write with the encodings' scale; and a stride in the queries changes nothing.
static void strides_change_nothing(void)
{
    locus_train_opts o = small_opts(LOCUS_RECIPE_BEST);
    problem p;
    locus_trainer *a, *b;
    state s;
    float *wide;
    size_t i;
    problem_make(&p, 60, 6, 5, MISSING, 8);
    wide = floats(p.n * 11);
    for (i = 0; i < p.n * 11; i++) wide[i] = f_nan();
    for (i = 0; i < p.n; i++) memcpy(wide + i * 11, p.q + i * 6, 6 * sizeof(float));
    a = trainer_of(&p, &o);
    p.data.evals.queries.encodings = wide, p.data.evals.queries.stride = 11;
    b = trainer_of(&p, &o);
    CHECK_STATUS(LOCUS_OK, locus_train_run(a, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_train_run(b, &g_err));
    s = state_of(a);
    CHECK_STATE("a stride", &s, b);
    free(s.v), free(wide);
    locus_train_destroy(a), locus_train_destroy(b);
    problem_free(&p);
}

// ---------------------------------------------------------------------------------------------------- the memory

// A net that nobody trained, a pool of its models, and evaluations with structure, for the memory.
typedef struct recall_case {
    ref_net ref;
    unsigned char *data;
    locus_safetensors st;
    locus_net *net;
    size_t D, n, M, extra;
    float *q, *y, *z, *asked; // evaluated queries [n, D], scores [M, n], embeddings, other queries [extra, D]
    unsigned char *mask;
    locus_evals evals;
    locus_pool *pool;
} recall_case;

enum { COMPLETE, UNEVEN, GRADED, TASKS }; // TASKS: whole tasks, told apart by an encoding's first number, missing

static void recall_make(recall_case *c, size_t D, size_t n, size_t M, size_t extra, int kind, uint64_t seed)
{
    ref_rng g;
    raw_file *raw;
    size_t bytes, i, j, m;
    g.state = seed * 17 + g_seed;
    ZERO(*c);
    c->D = D, c->n = n, c->M = M, c->extra = extra;
    ref_init(&c->ref, D, 8, 2, 1, 3, 5, 0, 3, seed);
    raw = raw_from_net(&c->ref);
    c->data = raw_bytes(raw, &bytes);
    raw_free(raw);
    CHECK_STATUS(LOCUS_OK, locus_safetensors_parse(&c->st, c->data, bytes, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_net_create(&c->net, &c->st, NULL, &g_err));
    c->q = floats(n * D), c->asked = floats(extra * D), c->y = floats(M * n), c->z = normals((M + 40) * 8, 1.0, seed);
    c->mask = (unsigned char *)xmalloc(M * n);
    for (i = 0; i < n + extra; i++) // a cloud whose directions have different widths
        for (j = 0; j < D; j++)
            (i < n ? c->q + i * D : c->asked + (i - n) * D)[j] = (float)(ref_normal(&g) / (1.0 + (double)j) + 0.3);
    for (m = 0; m < M; m++)
        for (i = 0; i < n; i++) {
            double skill = 0.8 * sin(2.0 * (double)c->q[i * D] + (double)m) + 0.3 * (double)m - 0.5;
            double p = 1.0 / (1.0 + exp(-skill));
            float y = (float)(ref_uniform(&g) < p);
            if (kind == GRADED || (kind == UNEVEN && m % 2)) y = (float)(0.7 * p + 0.3 * ref_uniform(&g));
            if (kind == TASKS && M > 1 && ((size_t)floor(2.0 * (double)c->q[i * D] + 40.0) + m) % 3 == 0) y = f_nan();
            if (kind == UNEVEN && ref_uniform(&g) < 0.1 + 0.12 * (double)m) y = f_nan();
            c->mask[m * n + i] = (unsigned char)(kind != UNEVEN || ref_uniform(&g) < 0.9);
            if (i == m) y = 1.0f, c->mask[m * n + i] = 1;
            c->y[m * n + i] = y;
        }
    for (i = 0; i < n; i++) { // a row without any score would be no evaluated query
        for (m = 0; m < M && !(c->y[m * n + i] >= 0.0f && c->mask[m * n + i]); m++) {}
        if (m == M) c->y[i] = 1.0f, c->mask[i] = 1;
    }
    c->evals.queries = queries_of(c->q, n, D);
    c->evals.scores.models = M, c->evals.scores.f32 = c->y, c->evals.scores.mask = kind == UNEVEN ? c->mask : NULL;
    c->pool = pool_of(c->net, c->z, M);
}

static void recall_free(recall_case *c)
{
    locus_pool_destroy(c->pool);
    locus_net_destroy(c->net);
    locus_safetensors_close(&c->st);
    ref_free(&c->ref);
    free(c->data), free(c->q), free(c->y), free(c->z), free(c->asked), free(c->mask);
}

static float *logits_of(const locus_pool *pool, const float *q, size_t count, size_t D)
{
    locus_queries queries = queries_of(q, count, D);
    float *out = floats(count * (locus_pool_count(pool) + 1));
    CHECK_STATUS(LOCUS_OK, predict(pool, &queries, out, NULL));
    return out;
}

static double *tensor_of(const locus_safetensors *st, const char *name, size_t *shape)
{
    const locus_tensor *t = locus_safetensors_find(st, name);
    float *f;
    double *out;
    size_t i;
    if (!CHECK(t != NULL)) return ref_alloc(1);
    f = floats(t->count), out = ref_alloc(t->count);
    CHECK_STATUS(LOCUS_OK, locus_tensor_to_f32(t, 0, t->count, f, &g_err));
    for (i = 0; i < t->count; i++) out[i] = (double)f[i];
    if (shape) *shape = t->shape[0];
    free(f);
    return out;
}

// a (lower triangle) <- L with L L' = a, a positive definite
static void ref_factor(double *a, size_t n)
{
    size_t i, j, k;
    for (i = 0; i < n; i++)
        for (j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
}

static void ref_solve(const double *l, double *x, size_t n) // x <- (L L')^-1 x
{
    size_t i, k;
    for (i = 0; i < n; i++) {
        for (k = 0; k < i; k++) x[i] -= l[i * n + k] * x[k];
        x[i] /= l[i * n + i];
    }
    for (i = n; i-- > 0;) {
        for (k = i + 1; k < n; k++) x[i] -= l[k * n + i] * x[k];
        x[i] /= l[i * n + i];
    }
}

static double ref_dot(const double *a, const double *b, size_t n)
{
    double sum = 0.0;
    size_t i;
    for (i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double ref_limit(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

// The memory in double, from the map and the landmarks of a file; everything else anew, from the comments of locus.h:
// Gaussian processes as such, with covariances of queries, where locus.h has features.
typedef struct recall_ref {
    size_t D, R, P, n, M, take;    // R: rows of the map, of which `take` are components, then the constant
    double *map, *bias, *points;   // [R, D], [R], [P, R]
    double *gram;                  // [P, P] factor of the landmarks' kernels, with what is added to the diagonal
    double *kernels, *cov;         // [n, P] of the evaluated queries; [n, n] their covariance of variance 1
    double mean, pull, own, noise; // as in locus.h
    double item, rest, ratio[2];
    double *shared, *t, *f;          // [P] f, [n] t and f
    double *a, *mu, *sd;             // [M, P] h_m, [M], [M]
    double *rows, *base, *h, *asked; // [M, P], [M]; [M, n] h_m at the queries; [n]
} recall_ref;

static void recall_x(const recall_ref *r, const float *q, double *x)
{
    size_t i, j;
    for (i = 0; i < r->R; i++) {
        x[i] = r->bias[i];
        for (j = 0; j < r->D; j++) x[i] += r->map[i * r->D + j] * (double)q[j];
    }
}

// (1 + x.x' + e + e^3) / 3, e = exp(-|x - x'|^2), of the components alone
static double recall_kernel(const double *a, const double *b, size_t take)
{
    double dot = 1.0, square = 0.0, e;
    size_t i;
    for (i = 0; i < take; i++) {
        dot += a[i] * b[i];
        square += (a[i] - b[i]) * (a[i] - b[i]);
    }
    e = exp(-square);
    return (dot + e + e * e * e) / 3.0;
}

static void recall_kernels(const recall_ref *r, const float *q, size_t n, double *out)
{
    double x[128];
    size_t i, p;
    for (i = 0; i < n; i++) {
        recall_x(r, q + i * r->D, x);
        for (p = 0; p < r->P; p++) out[i * r->P + p] = recall_kernel(x, r->points + p * r->R, r->take);
    }
}

// cov [n, n] <- k G^-1 k' for kernels k [n, P] with the landmarks (Nystroem)
static void recall_covariance(const recall_ref *r, const double *k, size_t n, double *cov)
{
    double *x = ref_alloc(r->P);
    size_t i, j;
    for (i = 0; i < n; i++) {
        memcpy(x, k + i * r->P, r->P * sizeof(double));
        ref_solve(r->gram, x, r->P);
        for (j = 0; j < n; j++) cov[i * n + j] = ref_dot(x, k + j * r->P, r->P);
    }
    free(x);
}

// weights [P] <- of a Gaussian process with covariance ratio * cov and noise 1 / w (w 0: not asked) given y, on the
// kernels k [n, P]. weights NULL: returns minus twice the logarithm of the evidence, unknown mean and unknown common
// factor of all variances left to the caller: *residual, the volume is returned.
static double recall_process(const recall_ref *r, const double *k, const double *cov, size_t n, double ratio,
                             const double *w, const double *y, double *weights, double *residual)
{
    double *c = ref_alloc(n * n), *v = ref_alloc(n), *one = ref_alloc(n), volume = 0.0;
    size_t *at = (size_t *)xmalloc((n + 1) * sizeof *at), count = 0, i, j, p;
    for (i = 0; i < n; i++)
        if (w[i] > 0.0) at[count++] = i;
    for (i = 0; i < count; i++) {
        for (j = 0; j < count; j++) c[i * count + j] = ratio * cov[at[i] * n + at[j]];
        c[i * count + i] += 1.0 / w[at[i]];
        v[i] = y[at[i]], one[i] = 1.0;
    }
    ref_factor(c, count);
    ref_solve(c, v, count); // C^-1 y
    if (weights) {
        memset(weights, 0, r->P * sizeof(double));
        for (i = 0; i < count; i++)
            for (p = 0; p < r->P; p++) weights[p] += ratio * v[i] * k[at[i] * r->P + p];
        ref_solve(r->gram, weights, r->P);
    } else {
        double sum = 0.0, plain = 0.0, information = 0.0;
        ref_solve(c, one, count);
        for (i = 0; i < count; i++) {
            sum += v[i], information += one[i], plain += v[i] * y[at[i]];
            volume += 2.0 * log(c[i * count + i]);
        }
        *residual = plain - sum * sum / information;
        volume += log(information);
    }
    free(c), free(v), free(one), free(at);
    return volume;
}

// The ratio of highest evidence, averaged over nine ratios, a quarter to four times the centre: targets y [models, n]
// with weights w [models, n]. same: all models have the same weights.
static double recall_ratio(const recall_ref *r, double centre, const double *w, const double *y, size_t models)
{
    double evidence[9], most = -1e300, sum = 0.0, mean = 0.0, part = 0.0;
    size_t g, m, i;
    for (g = 0; g < 9; g++) {
        const double away = -0.6 + 0.15 * (double)g;
        double residual = 0.0, volume = 0.0, count = 0.0;
        for (m = 0; m < models; m++) {
            double asked = 0.0;
            for (i = 0; i < r->n; i++) asked += w[m * r->n + i] > 0.0;
            if (asked < 2.0) continue;
            volume += recall_process(r, NULL, r->cov, r->n, centre * pow(10.0, away), w + m * r->n, y + m * r->n, NULL,
                                     &part);
            residual += part, count += asked - 1.0;
        }
        evidence[g] = -0.5 * (count * log(residual) + volume + away * away / 0.04);
        if (evidence[g] > most) most = evidence[g];
    }
    for (g = 0; g < 9; g++) {
        const double weight = exp(evidence[g] - most);
        sum += weight, mean += weight * (-0.6 + 0.15 * (double)g);
    }
    return centre * pow(10.0, mean / sum);
}

static double recall_deviation(double m) { return sqrt(m * (1.0 - m) > 0.05 ? m * (1.0 - m) : 0.05); }

static int recall_has(const recall_case *c, size_t m, size_t i)
{
    return !(c->evals.scores.mask && !c->mask[m * c->n + i]) && c->y[m * c->n + i] == c->y[m * c->n + i];
}

static double recall_difference(const recall_ref *r, const recall_case *c, size_t m, size_t i)
{
    return ((double)c->y[m * r->n + i] - r->mu[m]) / r->sd[m] - r->t[i];
}

static void recall_means(recall_ref *r, const recall_case *c)
{
    const double M = (double)r->M;
    double mean = 0.0, square = 0.0, noise = 0.0, between, all;
    size_t m, i, turn;
    double *sum = ref_alloc(r->M), *count = ref_alloc(r->M);
    for (m = 0; m < r->M; m++) {
        for (i = 0; i < r->n; i++)
            if (recall_has(c, m, i)) sum[m] += (double)c->y[m * r->n + i] - r->sd[m] * r->t[i], count[m] += 1.0;
        mean += sum[m] / count[m] / M, square += sum[m] / count[m] * sum[m] / count[m] / M;
        noise += r->sd[m] * r->sd[m] * r->noise / count[m] / M;
    }
    all = square - mean * mean;
    between = all - noise; // at least a tenth of what is seen
    if (between < 0.1 * all || between < 1e-4) between = ref_limit(0.1 * all, 1e-4, 1.0);
    r->mean = ref_limit(mean, 0.01, 0.99), r->pull = 0.0;
    for (turn = 0; turn < 1; turn++)
        for (m = 0; m < r->M; m++) {
            const double pull = r->sd[m] * r->sd[m] * r->noise / between;
            r->pull += pull / M;
            r->mu[m] = ref_limit((pull * r->mean + sum[m]) / (pull + count[m]), 0.01, 0.99);
            r->sd[m] = recall_deviation(r->mu[m]);
        }
    free(sum), free(count);
}

static void recall_shared(recall_ref *r, const recall_case *c)
{
    double *z = ref_alloc(r->n), *w = ref_alloc(r->n), odd = 0.0;
    size_t m, i;
    for (i = 0; i < r->n; i++) {
        for (m = 0; m < r->M; m++)
            if (recall_has(c, m, i))
                z[i] += (((double)c->y[m * r->n + i] - r->mu[m]) / r->sd[m] - r->h[m * r->n + i]) / r->asked[i];
        w[i] = r->item / (r->item + r->noise / r->asked[i]);
    }
    r->ratio[0] = recall_ratio(r, 2.0 / 3.0, w, z, 1);
    recall_process(r, r->kernels, r->cov, r->n, r->ratio[0], w, z, r->shared, NULL);
    for (i = 0; i < r->n; i++) {
        r->f[i] = ref_dot(r->shared, r->kernels + i * r->P, r->P);
        r->t[i] = r->f[i] + w[i] * (z[i] - r->f[i]);
        odd += ((z[i] - r->f[i]) * (z[i] - r->f[i]) - r->noise / r->asked[i]) / (double)r->n;
    }
    r->item = ref_limit(odd, 0.02, 1.0);
    free(z), free(w);
}

static void recall_own(recall_ref *r, const recall_case *c)
{
    const size_t n = r->n, M = r->M;
    double *w = ref_alloc(M * n), *d = ref_alloc(M * n), squares = 0.0, count = 0.0, spread = 0.0;
    size_t m, i;
    for (m = 0; m < M; m++)
        for (i = 0; i < n; i++)
            if (recall_has(c, m, i)) {
                w[m * n + i] = 1.0, d[m * n + i] = recall_difference(r, c, m, i);
                squares += d[m * n + i] * d[m * n + i], count += 1.0, spread += r->cov[i * n + i];
            }
    r->ratio[1] = recall_ratio(r, 0.1, w, d, M); // no case has more than 12 models
    r->noise = ref_limit(squares / count / (1.0 + r->ratio[1] * spread / count), 0.05, 1.0);
    r->own = r->ratio[1] * r->noise;
    for (m = 0; m < M; m++) {
        recall_process(r, r->kernels, r->cov, n, r->ratio[1], w + m * n, d + m * n, r->a + m * r->P, NULL);
        for (i = 0; i < n; i++) r->h[m * n + i] = ref_dot(r->a + m * r->P, r->kernels + i * r->P, r->P);
    }
    free(w), free(d);
}

// How much of its own variance a model of typical gaps leaves open, in the mean over the queries.
static void recall_rest(recall_ref *r)
{
    const size_t n = r->n;
    double *c = ref_alloc(n * n), *x = ref_alloc(n), all = 0.0, open = 0.0;
    size_t i, j;
    for (i = 0; i < n; i++)
        for (j = 0; j < n; j++)
            c[i * n + j] = r->cov[i * n + j] + (i == j ? (double)r->M / (r->ratio[1] * r->asked[i]) : 0.0);
    ref_factor(c, n);
    for (i = 0; i < n; i += n / 64 + 1) {
        for (j = 0; j < n; j++) x[j] = r->cov[i * n + j];
        ref_solve(c, x, n);
        all += r->cov[i * n + i];
        open += r->cov[i * n + i] - ref_dot(x, r->cov + i * n, n);
    }
    r->rest = open / all;
    free(c), free(x);
}

static void recall_fit(recall_ref *r, const recall_case *c, const locus_safetensors *st)
{
    size_t i, m, p, round, cells = 0;
    ZERO(*r);
    r->D = c->D, r->n = c->n, r->M = c->M, r->take = c->D < 128 ? c->D : 127;
    r->map = tensor_of(st, "memory.map", &r->R), r->bias = tensor_of(st, "memory.map_bias", NULL);
    r->points = tensor_of(st, "memory.landmarks", &r->P);
    r->gram = ref_alloc(r->P * r->P), r->kernels = ref_alloc(r->n * r->P), r->shared = ref_alloc(r->P);
    r->cov = ref_alloc(r->n * r->n), r->t = ref_alloc(r->n), r->f = ref_alloc(r->n), r->asked = ref_alloc(r->n);
    r->rows = ref_alloc(r->M * r->P), r->base = ref_alloc(r->M), r->a = ref_alloc(r->M * r->P);
    r->mu = ref_alloc(r->M), r->sd = ref_alloc(r->M), r->h = ref_alloc(r->M * r->n);
    for (i = 0; i < r->P; i++)
        for (p = 0; p < r->P; p++)
            r->gram[i * r->P + p] =
                recall_kernel(r->points + i * r->R, r->points + p * r->R, r->take) + (i == p ? 1e-4 : 0.0);
    ref_factor(r->gram, r->P);
    recall_kernels(r, c->q, r->n, r->kernels);
    recall_covariance(r, r->kernels, r->n, r->cov);
    for (m = 0; m < r->M; m++)
        for (i = 0; i < r->n; i++)
            if (recall_has(c, m, i)) r->asked[i] += 1.0, r->mean += (double)c->y[m * r->n + i], cells++;
    for (m = 0; m < r->M; m++) r->sd[m] = recall_deviation(r->mean / (double)cells);
    r->item = 0.2, r->noise = 0.6;
    for (round = 0; round < 3; round++) {
        recall_means(r, c);
        recall_shared(r, c);
        recall_own(r, c);
    }
    recall_rest(r);
    for (m = 0; m < r->M; m++) {
        for (p = 0; p < r->P; p++) r->rows[m * r->P + p] = (r->shared[p] + r->a[m * r->P + p]) * r->sd[m];
        r->base[m] = r->mu[m];
    }
}

static void recall_ref_free(recall_ref *r)
{
    free(r->map), free(r->bias), free(r->points), free(r->gram), free(r->kernels), free(r->shared), free(r->t);
    free(r->rows), free(r->base), free(r->cov), free(r->f), free(r->asked), free(r->a), free(r->mu), free(r->sd);
    free(r->h);
}

// logits [count, M] of the rows: of chances, held to 0.005 .. 0.995
static double *recall_logits(const recall_ref *r, const float *q, size_t count)
{
    double *k = ref_alloc(count * r->P), *out = ref_alloc(count * r->M);
    size_t i, m;
    recall_kernels(r, q, count, k);
    for (i = 0; i < count; i++)
        for (m = 0; m < r->M; m++) {
            double p = r->base[m] + ref_dot(r->rows + m * r->P, k + i * r->P, r->P);
            p = ref_limit(p, 0.005, 0.995);
            out[i * r->M + m] = log(p / (1.0 - p));
        }
    free(k);
    return out;
}

// A model that comes later has covariance own (rest K + sum_m h_m h_m' / (own M)): the pool's own differences, each a
// direction. Its row from scores y [n] (NaN: none) on q [n, D]; t [n]: their difficulties.
static void recall_remember(recall_ref *r, const float *q, const float *y, const double *t, size_t n, size_t index)
{
    double *k = ref_alloc(n * r->P), *cov = ref_alloc(n * n), *c = ref_alloc(n * n), *v = ref_alloc(n);
    double *way = ref_alloc(r->M * n), *a = ref_alloc(r->P), mu = r->mean, sd = 0.0;
    size_t *at = (size_t *)xmalloc(n * sizeof *at), i, j, m, p, round, count = 0;
    recall_kernels(r, q, n, k);
    recall_covariance(r, k, n, cov);
    for (m = 0; m < r->M; m++)
        for (i = 0; i < n; i++)
            way[m * n + i] = ref_dot(r->a + m * r->P, k + i * r->P, r->P) / sqrt(r->own * (double)r->M);
    for (i = 0; i < n; i++)
        if (y[i] == y[i]) at[count++] = i;
    for (round = 0; round < 4; round++) { // `pull` pseudo-evaluations of the pool's mean
        double sum = r->pull * r->mean;
        for (i = 0; i < count; i++) sum += (double)y[at[i]] - recall_deviation(mu) * t[at[i]];
        mu = ref_limit(sum / (r->pull + (double)count), 0.01, 0.99);
    }
    sd = recall_deviation(mu);
    for (i = 0; i < count; i++) {
        for (j = 0; j < count; j++) {
            double both = r->rest * cov[at[i] * n + at[j]];
            for (m = 0; m < r->M; m++) both += way[m * n + at[i]] * way[m * n + at[j]];
            c[i * count + j] = both + (i == j ? r->noise / r->own : 0.0);
        }
        v[i] = ((double)y[at[i]] - mu) / sd - t[at[i]];
    }
    ref_factor(c, count);
    ref_solve(c, v, count);
    for (i = 0; i < count; i++)
        for (p = 0; p < r->P; p++) a[p] += r->rest * v[i] * k[at[i] * r->P + p];
    ref_solve(r->gram, a, r->P);
    for (m = 0; m < r->M; m++) {
        double along = 0.0;
        for (i = 0; i < count; i++) along += v[i] * way[m * n + at[i]];
        for (p = 0; p < r->P; p++) a[p] += along * r->a[m * r->P + p] / sqrt(r->own * (double)r->M);
    }
    for (p = 0; p < r->P; p++) r->rows[index * r->P + p] = (r->shared[p] + a[p]) * sd;
    r->base[index] = mu;
    free(k), free(cov), free(c), free(v), free(way), free(a), free(at);
}

// The map: principal components of the encodings `from` [n, D], component k scaled by its variance^0.15, mean |x|^2 1,
// then the constant.
static void check_map(const recall_ref *r, const float *from, size_t n)
{
    double *x = ref_alloc(n * r->R), total = 0.0, first = 0.0;
    size_t a, b, i;
    for (i = 0; i < n; i++) recall_x(r, from + i * r->D, x + i * r->R);
    for (a = 0; a < r->R; a++) {
        double mean = 0.0, variance = 0.0, length = 0.0, ratio;
        for (i = 0; i < n; i++) {
            mean += x[i * r->R + a] / (double)n;
            variance += x[i * r->R + a] * x[i * r->R + a] / (double)n;
        }
        for (b = 0; b < r->D; b++) length += r->map[a * r->D + b] * r->map[a * r->D + b];
        if (a >= r->take) {
            CHECK_NEAR(0.0, length, 0.0);
            CHECK_NEAR(a == r->take ? 1.0 : 0.0, r->bias[a], 0.0);
            continue;
        }
        CHECK_NEAR(0.0, mean, 1e-5);
        total += variance;
        if (a + 1 >= n) continue;                            // n encodings span no more: what is left is rounding
        ratio = pow(variance / length, 0.15) / sqrt(length); // the raw variance^0.15 over its scale
        if (a == 0) first = ratio;
        CHECK_NEAR(first, ratio, 1e-2 * first);
        for (b = 0; b < a; b++) {
            double cross = 0.0;
            for (i = 0; i < n; i++) cross += x[i * r->R + a] * x[i * r->R + b] / (double)n;
            CHECK_NEAR(0.0, cross, 1e-3);
        }
    }
    CHECK_NEAR(1.0, total, 1e-3);
    free(x);
}

static const float *g_by_hash; // encodings
static size_t g_by_hash_dim;
static int hash_order(const void *a, const void *b)
{
    const uint64_t x = locusi_encoding_hash(g_by_hash + *(const size_t *)a * g_by_hash_dim, g_by_hash_dim);
    const uint64_t y = locusi_encoding_hash(g_by_hash + *(const size_t *)b * g_by_hash_dim, g_by_hash_dim);
    return x < y ? -1 : x > y;
}

// Landmarks: the evaluated queries by their hashes, then others evenly; of many, what three rounds of k-means make of
// the first. In double: a query between two centres may fall to the other one.
static void check_landmarks(const recall_ref *r, const float *evaluated, size_t n, const float *others, size_t more)
{
    const size_t P = r->P, R = r->R;
    double *x = ref_alloc(n * R), *want = ref_alloc(P * R), *sum = ref_alloc(P * R), *members = ref_alloc(P);
    size_t *order = (size_t *)xmalloc(n * sizeof *order), i, j, k, round, wrong = 0;
    for (i = 0; i < n; i++) order[i] = i, recall_x(r, evaluated + i * r->D, x + i * R);
    g_by_hash = evaluated, g_by_hash_dim = r->D;
    qsort(order, n, sizeof *order, hash_order);
    for (j = 0; j < P; j++) {
        if (j < n || !more) memcpy(want + j * R, x + order[j % n] * R, R * sizeof(double));
        else recall_x(r, others + (j - n) * more / (P - n) * r->D, want + j * R);
    }
    for (round = 0; n > P && round < 3; round++) {
        memset(sum, 0, P * R * sizeof(double)), memset(members, 0, P * sizeof(double));
        for (i = 0; i < n; i++) {
            double nearest = 1e300;
            size_t at = 0;
            for (j = 0; j < P; j++) {
                double away = 0.0;
                for (k = 0; k < R; k++) away += (x[i * R + k] - want[j * R + k]) * (x[i * R + k] - want[j * R + k]);
                if (away < nearest) nearest = away, at = j;
            }
            for (k = 0; k < R; k++) sum[at * R + k] += x[i * R + k];
            members[at] += 1.0;
        }
        for (j = 0; j < P; j++)
            for (k = 0; k < R && members[j] > 0.0; k++) want[j * R + k] = sum[j * R + k] / members[j];
    }
    for (j = 0; j < P; j++) {
        double away = 0.0;
        for (k = 0; k < R; k++) away += fabs(want[j * R + k] - r->points[j * R + k]);
        wrong += away > 1e-3;
    }
    CHECK(wrong <= (n > P ? P / 50 : 0));
    free(x), free(want), free(sum), free(members), free(order);
}

static void memories_match_a_dense_solution_in_double(void)
{
    static const struct {
        size_t D, n, M, unlabelled;
        int kind;
    } cases[] = {{10, 90, 7, 0, COMPLETE}, {10, 90, 7, 0, UNEVEN},      {10, 90, 6, 0, TASKS}, {5, 150, 3, 200, UNEVEN},
                 {9, 100, 8, 0, GRADED},   {70, 130, 4, 230, COMPLETE}, {1, 20, 2, 0, UNEVEN}, {7, 80, 4, 460, TASKS},
                 {140, 70, 4, 0, GRADED},  {4, 700, 2, 40, COMPLETE}};
    size_t k, i, m;
    for (k = 0; k < (g_quick ? 3u : COUNT(cases)); k++) {
        const char *path = temp_path("memory.safetensors");
        const size_t D = cases[k].D, n = cases[k].n, unlabelled = cases[k].unlabelled;
        recall_case c;
        recall_ref r;
        locus_safetensors st;
        locus_learn_opts o;
        locus_recall_info info;
        float *logits, *again;
        double *expected, top = 0.0;
        context("case %zu", k);
        recall_make(&c, D, n, cases[k].M, unlabelled > 240 ? unlabelled : 240, cases[k].kind, k + 1);
        ZERO(o);
        o.recall_weight = 1.0;
        if (unlabelled) o.unlabelled = queries_of(c.asked, unlabelled, D);
        CHECK_STATUS(LOCUS_OK, learn_recall(c.pool, &c.evals, &o, &g_err));
        info = locus_pool_get_info(c.pool).recall;
        i = n + unlabelled < 512 ? n + unlabelled : 512;
        CHECK_SIZE((i + 15) / 16 * 16, info.landmarks);
        CHECK_SIZE(n, info.queries);
        CHECK_SIZE(c.M, info.models);
        CHECK_NEAR(1.0, info.weight, 0.0);
        CHECK_STATUS(LOCUS_OK, locus_pool_save(c.pool, path, LOCUS_SAVE_POOL, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err));
        recall_fit(&r, &c, &st);
        CHECK_SIZE(D < 128 ? (D + 16) / 16 * 16 : 128, r.R);
        check_map(&r, unlabelled ? c.asked : c.q, unlabelled ? unlabelled : n);
        check_landmarks(&r, c.q, n, c.asked, unlabelled);
        logits = logits_of(c.pool, c.asked, c.extra, D);
        expected = recall_logits(&r, c.asked, c.extra);
        for (i = 0; i < c.extra * c.M; i++)
            if (fabs(expected[i]) > top) top = fabs(expected[i]);
        CHECK(top > 0.5);
        CHECK_CLOSE("logits", expected, logits, c.extra * c.M, 1e-3);
        free(expected), free(logits);
        { // on the evaluated queries too, and base and scales as the file says
            double *base = tensor_of(&st, "memory.base", NULL), *scalars = tensor_of(&st, "memory.scalars", &i);
            CHECK_SIZE(6, i);
            logits = logits_of(c.pool, c.q, n, D);
            expected = recall_logits(&r, c.q, n);
            CHECK_CLOSE("logits of evaluated queries", expected, logits, n * c.M, 1e-3);
            for (m = 0; m < c.M; m++) CHECK_NEAR(r.base[m], base[m], 1e-4);
            CHECK_NEAR(1.0, scalars[0], 0.0);
            CHECK_NEAR(r.mean, scalars[1], 1e-5);
            CHECK_NEAR(r.pull, scalars[2], 1e-3 * r.pull);
            CHECK_NEAR(r.own, scalars[3], 1e-3 * r.own);
            CHECK_NEAR(r.noise, scalars[4], 1e-4);
            CHECK_NEAR(r.rest, scalars[5], 1e-3 * r.rest);
            free(base), free(scalars), free(expected), free(logits);
        }
        { // a new model, asked known and new queries: only its own logits change
            const size_t N = n / 2 + 30;
            float *q = floats(N * D), *y = floats(N), *before = logits_of(c.pool, c.asked, c.extra, D);
            double *kernels = ref_alloc(N * r.P), *t = ref_alloc(N);
            const size_t index = c.M / 2;
            locus_evals e;
            ref_rng g;
            g.state = 8 + k;
            for (i = 0; i < N; i++) {
                memcpy(q + i * D, i < n / 2 ? c.q + (2 * i) * D : c.asked + i % c.extra * D, D * sizeof(float));
                y[i] = i % 5 == 4 ? f_nan() : (float)(i % 3 ? ref_uniform(&g) : ref_uniform(&g) < 0.7);
            }
            ZERO(e);
            e.queries = queries_of(q, N, D), e.scores.models = 1, e.scores.f32 = y;
            CHECK_STATUS(LOCUS_OK, locus_pool_recall_model(c.pool, index, &e, NULL, &g_err));
            recall_kernels(&r, q, N, kernels);
            for (i = 0; i < N; i++) t[i] = i < n / 2 ? r.t[2 * i] : ref_dot(r.shared, kernels + i * r.P, r.P);
            recall_remember(&r, q, y, t, N, index);
            again = logits_of(c.pool, c.asked, c.extra, D);
            expected = recall_logits(&r, c.asked, c.extra);
            CHECK_CLOSE("logits after remember", expected, again, c.extra * c.M, 1e-3);
            for (top = 0.0, i = 0; i < c.extra; i++)
                if (fabs((double)(again[i * c.M + index] - before[i * c.M + index])) > top)
                    top = fabs((double)(again[i * c.M + index] - before[i * c.M + index]));
            CHECK(top > 0.01);
            for (i = 0; i < c.extra; i++) before[i * c.M + index] = again[i * c.M + index];
            CHECK_SAME("logits of the others", before, again, c.extra * c.M);
            free(q), free(y), free(before), free(again), free(expected), free(kernels), free(t);
        }
        recall_ref_free(&r);
        locus_safetensors_close(&st);
        remove(path);
        recall_free(&c);
    }
}

// The order of the evaluations, bytes for scores, a stride: the same to rounding, or to the bit.
static void memories_do_not_depend_on_the_order(void)
{
    recall_case c;
    locus_learn_opts o;
    float *a, *b, *q, *y, *wide;
    unsigned char *mask, *u8;
    double worst_error = 0.0;
    size_t i, j, m;
    locus_evals e;
    recall_make(&c, 6, 80, 5, 60, UNEVEN, 3);
    ZERO(o);
    o.recall_weight = 1.0;
    o.unlabelled = queries_of(c.asked, 60, 6); // so that the landmarks stay
    CHECK_STATUS(LOCUS_OK, learn_recall(c.pool, &c.evals, &o, &g_err));
    a = logits_of(c.pool, c.asked, 60, 6);
    q = floats(80 * 6), y = floats(80 * 5), mask = (unsigned char *)xmalloc(400);
    for (i = 0; i < 80; i++) {
        j = i * 37 % 80;
        memcpy(q + i * 6, c.q + j * 6, 6 * sizeof(float));
        for (m = 0; m < 5; m++) y[m * 80 + i] = c.y[m * 80 + j], mask[m * 80 + i] = c.mask[m * 80 + j];
    }
    e = c.evals;
    e.queries.encodings = q, e.scores.f32 = y, e.scores.mask = mask;
    CHECK_STATUS(LOCUS_OK, learn_recall(c.pool, &e, &o, &g_err));
    b = logits_of(c.pool, c.asked, 60, 6);
    for (i = 0; i < 300; i++)
        if (!(fabs((double)(a[i] - b[i])) <= worst_error)) worst_error = fabs((double)(a[i] - b[i]));
    CHECK_NEAR(0.0, worst_error, 2e-4);
    free(b);
    // a stride, with NaN between
    wide = floats(80 * 9);
    for (i = 0; i < 80 * 9; i++) wide[i] = f_nan();
    for (i = 0; i < 80; i++) memcpy(wide + i * 9, c.q + i * 6, 6 * sizeof(float));
    e = c.evals;
    e.queries.encodings = wide, e.queries.stride = 9;
    CHECK_STATUS(LOCUS_OK, learn_recall(c.pool, &e, &o, &g_err));
    b = logits_of(c.pool, c.asked, 60, 6);
    CHECK_SAME("logits with a stride", a, b, 300);
    free(b), free(a);
    // bytes
    u8 = (unsigned char *)xmalloc(400);
    for (i = 0; i < 400; i++) {
        u8[i] = (unsigned char)(c.y[i] != c.y[i] ? 255 : c.y[i] >= 0.5f);
        if (u8[i] != 255) c.y[i] = (float)u8[i];
    }
    CHECK_STATUS(LOCUS_OK, learn_recall(c.pool, &c.evals, &o, &g_err));
    a = logits_of(c.pool, c.asked, 60, 6);
    e = c.evals;
    e.scores.f32 = NULL, e.scores.u8 = u8;
    CHECK_STATUS(LOCUS_OK, learn_recall(c.pool, &e, &o, &g_err));
    b = logits_of(c.pool, c.asked, 60, 6);
    CHECK_SAME("logits from bytes", a, b, 300);
    free(a), free(b), free(q), free(y), free(mask), free(wide), free(u8);
    recall_free(&c);
}

// Scores with `count` and `stride`, beside queries that nobody was asked and whose encodings are no numbers: recall and
// guard are those of the others, and so is a model's part that is learned again.
static void wide_score_tables_teach_the_same(void)
{
    enum { D = 6, N = 80, M = 5, ALL = 120, WIDE = 131, ASKED = 60 };
    recall_case c;
    locus_learn_opts o;
    locus_guard guard;
    locus_evals e;
    float *a, *b, *q, *y;
    unsigned char *mask;
    size_t i, m;
    recall_make(&c, D, N, M, ASKED, UNEVEN, 7);
    ZERO(o);
    o.recall_weight = 1.0;
    q = floats(ALL * D), y = floats(M * WIDE), mask = (unsigned char *)xmalloc(M * WIDE);
    for (i = 0; i < ALL * D; i++) q[i] = f_nan();
    for (i = 0; i < M * WIDE; i++) y[i] = i % WIDE < ALL ? f_nan() : 0.5f, mask[i] = 1;
    for (i = 0; i < N; i++) { // every third is nobody's
        const size_t at = i + i / 2;
        memcpy(q + at * D, c.q + i * D, D * sizeof(float));
        for (m = 0; m < M; m++) y[m * WIDE + at] = c.y[m * N + i], mask[m * WIDE + at] = c.mask[m * N + i];
    }
    ZERO(e);
    e.queries = queries_of(q, ALL, D);
    e.scores.models = M, e.scores.f32 = y, e.scores.mask = mask;
    e.scores.count = ALL, e.scores.stride = WIDE;
    CHECK_STATUS(LOCUS_OK, locus_pool_learn(c.pool, &c.evals, &o, NULL, &g_err));
    a = logits_of(c.pool, c.asked, ASKED, D);
    guard = locus_pool_get_info(c.pool).guard;
    CHECK_STATUS(LOCUS_OK, locus_pool_learn(c.pool, &e, &o, NULL, &g_err));
    b = logits_of(c.pool, c.asked, ASKED, D);
    CHECK_SAME("logits of a wide table", a, b, ASKED * M);
    CHECK_SIZE(N, locus_pool_get_info(c.pool).recall.queries);
    CHECK_SIZE(guard.model, locus_pool_get_info(c.pool).guard.model);
    CHECK_NEAR(guard.margin, locus_pool_get_info(c.pool).guard.margin, 0.0);
    for (m = 0; m < M; m++) {
        locus_evals own = c.evals;
        own.scores.models = 1, own.scores.f32 += m * N, own.scores.mask += m * N;
        CHECK_STATUS(LOCUS_OK, locus_pool_recall_model(c.pool, m, &own, NULL, &g_err));
    }
    free(a), free(b);
    a = logits_of(c.pool, c.asked, ASKED, D);
    for (m = 0; m < M; m++) {
        locus_evals own = e;
        own.scores.models = 1, own.scores.f32 += m * WIDE, own.scores.mask += m * WIDE;
        CHECK_STATUS(LOCUS_OK, locus_pool_recall_model(c.pool, m, &own, NULL, &g_err));
    }
    b = logits_of(c.pool, c.asked, ASKED, D);
    CHECK_SAME("logits of parts learned again", a, b, ASKED * M);
    free(a), free(b), free(q), free(y), free(mask);
    recall_free(&c);
}

// Weight 0 drops the recall, next to it is the net, 1 the recall, between them a mixture; models without a part are the
// net's.
static void weights_mix_net_and_memory(void)
{
    recall_case c;
    float *net, *memory, *mixed, *zero, *gone;
    size_t i, m, index = 0;
    const size_t D = 6, N = 70, M = 5;
    locus_model model = model_named("newcomer", 3.0f);
    recall_make(&c, D, 60, M, N, COMPLETE, 4);
    CHECK_SIZE(0, locus_pool_get_info(c.pool).recall.landmarks);
    net = logits_of(c.pool, c.asked, N, D);
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_set_recall(c.pool, 0.5, &g_err)); // nothing there yet
    CHECK_STATUS(LOCUS_OK, learn_recall(c.pool, &c.evals, NULL, &g_err));
    CHECK_NEAR(0.8, locus_pool_get_info(c.pool).recall.weight, 1e-7);
    CHECK_NEAR(0.0, locus_net_get_info(c.net).recall_weight, 0.0); // this net does not say
    mixed = logits_of(c.pool, c.asked, N, D);
    CHECK_STATUS(LOCUS_OK, locus_pool_set_recall(c.pool, 1.0, &g_err));
    memory = logits_of(c.pool, c.asked, N, D);
    for (i = 0; i < N * M; i++) {
        double want = 0.2 * (double)net[i] + 0.8 * (double)memory[i];
        if (!CHECK_NEAR(want, (double)mixed[i], 1e-5 * (1.0 + fabs(want)))) break;
    }
    CHECK_STATUS(LOCUS_OK, locus_pool_set_recall(c.pool, 1e-30, &g_err));
    zero = logits_of(c.pool, c.asked, N, D);
    CHECK_SAME("weight 0 is the net alone", net, zero, N * M);
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_set_recall(c.pool, -0.1, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_set_recall(c.pool, 1.1, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_set_recall(c.pool, (double)f_nan(), &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_set_recall(NULL, 0.5, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_set_recall(c.pool, 0.25, &g_err));
    free(mixed);
    mixed = logits_of(c.pool, c.asked, N, D);
    // a model that was added has no part
    CHECK_STATUS(LOCUS_OK, locus_pool_add(c.pool, &model, c.z + 3 * 8, &index, &g_err)); // model 3's embedding
    CHECK_SIZE(M, locus_pool_get_info(c.pool).recall.models);
    free(zero);
    zero = logits_of(c.pool, c.asked, N, D);
    for (i = 0; i < N; i++) {
        CHECK_SAME("the others", mixed + i * M, zero + i * (M + 1), M);
        CHECK_SAME("the newcomer is the net's", net + i * M + 3, zero + i * (M + 1) + M, 1);
    }
    free(zero);
    { // its part from its own evaluations
        locus_evals e = c.evals;
        double change = 0.0;
        e.scores.models = 1;
        CHECK_STATUS(LOCUS_OK, locus_pool_recall_model(c.pool, index, &e, NULL, &g_err));
        CHECK_SIZE(M + 1, locus_pool_get_info(c.pool).recall.models);
        zero = logits_of(c.pool, c.asked, N, D);
        for (i = 0; i < N; i++) {
            CHECK_SAME("the others still", mixed + i * M, zero + i * (M + 1), M);
            change += fabs((double)(zero[i * (M + 1) + M] - net[i * M + 3]));
        }
        CHECK(change > 0.1);
        // nearly what model 0, which answered the same, has: memorize and remember agree
        CHECK_STATUS(LOCUS_OK, locus_pool_set_recall(c.pool, 1.0, &g_err));
        free(zero);
        zero = logits_of(c.pool, c.asked, N, D);
        for (change = 0.0, i = 0; i < N; i++)
            change += fabs((double)(zero[i * (M + 1) + M] - zero[i * (M + 1)])) / (double)N;
        CHECK(change < 0.35);
        free(zero);
    }
    { // batches, threads, routing
        locus_queries q = queries_of(c.asked, N, D);
        locus_choice choice[70], by_rank[70];
        float *all = logits_of(c.pool, c.asked, N, D), *some = floats(N * (M + 1));
        size_t kind, at, n;
        for (kind = 0; kind < THREAD_KINDS; kind++) {
            CHECK_STATUS(LOCUS_OK, predict(c.pool, &q, some, parallel_of(kind)));
            CHECK_SAME("threads", all, some, N * (M + 1));
        }
        for (n = 1; n < N; n = n * 3 + 1)
            for (at = 0; at + n <= N; at += n) {
                locus_queries part = queries_of(c.asked + at * D, n, D);
                CHECK_STATUS(LOCUS_OK, predict(c.pool, &part, some, NULL));
                CHECK_SAME("batches", all + at * (M + 1), some, n * (M + 1));
            }
        CHECK_STATUS(LOCUS_OK, locus_route(c.pool, &q, NULL, choice, some, NULL, &g_err));
        CHECK_SAME("logits of route", all, some, N * (M + 1));
        CHECK_STATUS(LOCUS_OK, locus_rank(c.pool, all, N, NULL, by_rank, &g_err));
        for (i = 0; i < N; i++) {
            CHECK_SIZE(by_rank[i].model, choice[i].model);
            for (m = 0; m <= M; m++) CHECK(all[i * (M + 1) + m] <= choice[i].logit);
        }
        free(all), free(some);
    }
    locus_pool_set_recall(c.pool, 0.0, NULL);
    locus_pool_set_recall(NULL, 0.0, NULL);
    CHECK_SIZE(0, locus_pool_get_info(c.pool).recall.landmarks);
    CHECK_STATUS(LOCUS_OK, locus_pool_remove(c.pool, M, &g_err));
    gone = logits_of(c.pool, c.asked, N, D);
    CHECK_SAME("forgotten", net, gone, N * M);
    free(gone);
    { // forgotten pools grow, and learn again
        for (i = 0; i < 20; i++) {
            char name[32];
            snprintf(name, sizeof name, "late %zu", i);
            model = model_named(name, 1.0f);
            CHECK_STATUS(LOCUS_OK, locus_pool_add(c.pool, &model, c.z + i * 8, NULL, &g_err));
        }
        for (i = 0; i < 20; i++) CHECK_STATUS(LOCUS_OK, locus_pool_remove(c.pool, M, &g_err));
        CHECK_STATUS(LOCUS_OK, learn_recall(c.pool, &c.evals, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_pool_set_recall(c.pool, 1.0, &g_err));
        gone = logits_of(c.pool, c.asked, N, D);
        CHECK_SAME("learned again", memory, gone, N * M);
        free(gone);
    }
    free(net), free(memory), free(mixed);
    recall_free(&c);
}

// A router file of version 0.3, written by its locus.h: it predicts the same logits, learns as it did, and stays of its
// kind until it is learned anew. Its encodings are of numbers with short binary fractions.
static float old_number(size_t i, size_t j) { return (float)((i * 37 + j * 101 + i * j * 13) % 64) / 32.0f - 1.0f; }

static size_t scalars_in(const char *path)
{
    locus_safetensors st;
    const locus_tensor *t;
    size_t count = 0;
    if (!CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err))) return 0;
    t = locus_safetensors_find(&st, "memory.scalars");
    if (CHECK(t != NULL)) count = t->count;
    locus_safetensors_close(&st);
    return count;
}

static void memories_of_version_0_3_are_as_they_were(void)
{
    enum { D = 6, N = 24, M = 4, ASKED = 8 };
    static const double expected[ASKED * M] = {
        -0.758219957, 0.474375427, 0.00189504027, 0.429805607, -0.481645077, 0.6202932,   0.138201252,   0.687242389,
        -0.682615638, 0.387154609, 0.089392595,   0.457935214, -0.703422904, 0.490854234, -0.0283755809, 0.384526134,
        -0.454916209, 0.808215857, 0.128898367,   0.801549196, -0.696632445, 0.522110343, 0.053578265,   0.496662468,
        -0.468049645, 0.626129508, 0.16182594,    0.71490097,  0.210934326,  1.17507458,  0.655166507,   1.25374258};
    static const double remembered[ASKED] = {0.107092768, 0.310029954, -0.0789851546, 0.195804954,
                                             0.53430748,  0.177297011, 0.334412247,   1.03745496};
    const char *old = golden_path("memory-0.3", "router.safetensors");
    const char *path = temp_path("old.safetensors"), *new_path = temp_path("new.safetensors");
    float q[N * D], y[M * N], asked[ASKED * D], logits[ASKED * M], *after;
    locus_safetensors st;
    locus_net *net = NULL;
    locus_pool *pool = NULL, *again = NULL;
    locus_evals e, one, some;
    locus_queries a;
    locus_next_opts opts;
    locus_next next;
    locus_pool *versions = NULL;
    locus_resample_opts draw;
    size_t i, j, m, pick = 0, turn;
    for (i = 0; i < N; i++)
        for (j = 0; j < D; j++) q[i * D + j] = old_number(i, j);
    for (i = 0; i < ASKED; i++)
        for (j = 0; j < D; j++) asked[i * D + j] = old_number(i % 4 == 3 ? i : i + 100, j);
    for (m = 0; m < M; m++)
        for (i = 0; i < N; i++) {
            y[m * N + i] = (float)((i * (m + 2) + i * i / 3) % 5 < 2 + m % 2);
            if (m == 3 && i % 3 == 1) y[m * N + i] = f_nan();
            if (m == 2) y[m * N + i] = (float)(i * 7 % 9) / 8.0f;
        }
    ZERO(e);
    ZERO(opts);
    ZERO(draw);
    e.queries = queries_of(q, N, D), e.scores.models = M, e.scores.f32 = y;
    one = e, one.scores.models = 1, one.scores.f32 = y + N, one.queries.count = 15;
    a = queries_of(asked, ASKED, D);
    CHECK_SIZE(2, scalars_in(old));
    if (!CHECK_STATUS(LOCUS_OK, locus_net_open(&net, old, NULL, &g_err))) return;
    CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, old, &g_err));
    if (!CHECK_STATUS(LOCUS_OK, locus_pool_load(&pool, net, &st, NULL, &g_err))) return;
    CHECK_NEAR(0.75, locus_pool_get_info(pool).recall.weight, 0.0);
    CHECK_SIZE(32, locus_pool_get_info(pool).recall.landmarks);
    CHECK_SIZE(N, locus_pool_get_info(pool).recall.queries);
    for (turn = 0; turn < 2; turn++) { // as loaded; saved and loaded once more
        context("turn %zu", turn);
        CHECK_STATUS(LOCUS_OK, predict(pool, &a, logits, NULL));
        CHECK_CLOSE("logits", expected, logits, ASKED * M, 1e-5);
        if (turn) break;
        CHECK_STATUS(LOCUS_OK, locus_pool_save(pool, path, LOCUS_SAVE_EVERYTHING, &st, &g_err));
        CHECK_SIZE(2, scalars_in(path));
        locus_pool_destroy(pool);
        pool = NULL;
        if (!CHECK_STATUS(LOCUS_OK, locus_pool_open(&pool, net, path, NULL, &g_err))) return;
    }
    CHECK_STATUS(LOCUS_OK, locus_pool_set_recall(pool, 1.0, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_resample(&versions, pool, &one, &draw, NULL, &g_err));
    some = one, some.scores.f32 = y + 3 * N; // of which some are missing
    CHECK_STATUS(LOCUS_OK, locus_next_evaluations(pool, &some, &opts, &pick, &next, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_recall_model(pool, 0, &one, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_save(pool, path, LOCUS_SAVE_POOL, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_open(&again, net, path, NULL, &g_err));
    for (turn = 0; turn < 2; turn++) {
        after = logits_of(turn ? again : pool, asked, ASKED, D);
        for (i = 0; i < ASKED; i++) CHECK_NEAR(remembered[i], (double)after[i * M], 1e-5);
        free(after);
    }
    { // versions of a model scatter about it
        const size_t count = locus_pool_count(versions);
        float *rows = logits_of(versions, asked, ASKED, D);
        double mean = 0.0;
        after = logits_of(pool, asked, ASKED, D);
        CHECK(count > 10);
        for (i = 0; i < count * ASKED; i++) mean += ((double)rows[i] - (double)after[i / count * M]) / (double)count;
        CHECK(fabs(mean / ASKED) < 0.3);
        free(rows), free(after);
    }
    CHECK_STATUS(LOCUS_OK, learn_recall(again, &e, NULL, &g_err)); // learned anew: of today's kind
    CHECK_STATUS(LOCUS_OK, locus_pool_save(again, new_path, LOCUS_SAVE_POOL, NULL, &g_err));
    CHECK_SIZE(6, scalars_in(new_path));
    CHECK_NEAR(0.8, locus_pool_get_info(again).recall.weight, 1e-7);
    locus_pool_destroy(versions), locus_pool_destroy(again), locus_pool_destroy(pool);
    locus_net_destroy(net);
    locus_safetensors_close(&st);
    remove(path), remove(new_path);
}

// The weight of a new memory: what the options say, else what the net's file says, else 0.8.
static void nets_say_how_much_a_memory_counts(void)
{
    static const char *const says[] = {NULL, "35", "1", "100", "0", "101", "-3", "0.35", "35%", ""};
    const char *path = temp_path("says.safetensors");
    size_t i;
    recall_case c;
    recall_make(&c, 6, 60, 5, 8, COMPLETE, 4);
    for (i = 0; i < COUNT(says); i++) {
        const double percent = i < 4 && says[i] ? atof(says[i]) / 100.0 : 0.0;
        raw_file *f = raw_from_net(&c.ref);
        locus_net *net = NULL;
        locus_pool *pool;
        locus_learn_opts o;
        context("memory_weight %s", says[i] ? says[i] : "missing");
        raw_meta(f, "memory_weight", says[i]);
        if (i < 4) {
            if (!CHECK_STATUS(LOCUS_OK, raw_create(f, NULL, &net))) return;
            CHECK_NEAR(percent, locus_net_get_info(net).recall_weight, 0.0);
            pool = pool_of(net, c.z, c.M);
            CHECK_STATUS(LOCUS_OK, learn_recall(pool, &c.evals, NULL, &g_err));
            CHECK_NEAR(says[i] ? percent : 0.8, locus_pool_get_info(pool).recall.weight, 1e-7);
            ZERO(o);
            o.recall_weight = 0.6;
            CHECK_STATUS(LOCUS_OK, learn_recall(pool, &c.evals, &o, &g_err));
            CHECK_NEAR(0.6, locus_pool_get_info(pool).recall.weight, 1e-7);
            if (i == 1) { // it stands in router files
                locus_net *routers = NULL;
                locus_safetensors st;
                size_t bytes;
                unsigned char *data = raw_bytes(f, &bytes);
                CHECK_STATUS(LOCUS_OK, locus_safetensors_parse(&st, data, bytes, NULL, &g_err));
                CHECK_STATUS(LOCUS_OK, locus_pool_save(pool, path, LOCUS_SAVE_ROUTER, &st, &g_err));
                CHECK_STATUS(LOCUS_OK, locus_net_open(&routers, path, NULL, &g_err));
                CHECK_NEAR(0.35, locus_net_get_info(routers).recall_weight, 0.0);
                locus_net_destroy(routers);
                locus_safetensors_close(&st);
                free(data);
                remove(path);
            }
            locus_pool_destroy(pool);
            locus_net_destroy(net);
        } else {
            CHECK_STATUS(LOCUS_ERR_METADATA, raw_create(f, NULL, &net));
            CHECK_MESSAGE("memory_weight");
        }
        raw_free(f);
    }
    recall_free(&c);
}

// Rows go with their models through removal, addition and growth.
static void memory_rows_stay_with_their_models(void)
{
    recall_case c;
    const size_t D = 6, N = 30, M = 40;
    float *before, *after;
    size_t i, m, where[64], count = M, step;
    ref_rng g;
    g.state = 5;
    recall_make(&c, D, 60, M, N, COMPLETE, 4);
    CHECK_STATUS(LOCUS_OK, learn_recall(c.pool, &c.evals, NULL, &g_err));
    before = logits_of(c.pool, c.asked, N, D);
    for (m = 0; m < M; m++) where[m] = m;
    for (step = 0; step < 60; step++) {
        context("step %zu, %zu models", step, count);
        if (step % 3 && count > 3) {
            size_t at = (size_t)(ref_bits(&g) % count);
            CHECK_STATUS(LOCUS_OK, locus_pool_remove(c.pool, at, &g_err));
            memmove(where + at, where + at + 1, (count - at - 1) * sizeof where[0]);
            count--;
        } else if (step % 3 == 0) {
            size_t k, many = step == 30 ? 30 : 2;
            for (k = 0; k < many && count < 64; k++) {
                char name[32];
                locus_model model;
                snprintf(name, sizeof name, "new %zu %zu", step, k);
                model = model_named(name, 1.0f);
                CHECK_STATUS(LOCUS_OK, locus_pool_add(c.pool, &model, c.z, NULL, &g_err));
                where[count++] = SIZE_MAX;
            }
        }
        after = logits_of(c.pool, c.asked, N, D);
        for (i = 0; i < N; i++)
            for (m = 0; m < count; m++)
                if (where[m] != SIZE_MAX)
                    CHECK_SAME("a model's logit", &before[i * M + where[m]], &after[i * count + m], 1);
        free(after);
        for (i = m = 0; m < count; m++) i += where[m] != SIZE_MAX;
        CHECK_SIZE(i, locus_pool_get_info(c.pool).recall.models);
    }
    free(before);
    recall_free(&c);
}

static void saved_memories_come_back_whole(void)
{
    const char *path = temp_path("memory2.safetensors"), *router = temp_path("memory3.safetensors");
    recall_case c;
    const size_t D = 6, N = 30, M = 19;
    locus_model model = model_named("no part", 1.0f);
    locus_pool *pool = NULL, *fixed = NULL;
    locus_net *net = NULL;
    locus_safetensors st;
    float *before, *after;
    unsigned char *first, *second;
    size_t a, b;
    locus_run run;
    locus_evals e;
    recall_make(&c, D, 60, M, N, UNEVEN, 6);
    CHECK_STATUS(LOCUS_OK, learn_recall(c.pool, &c.evals, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_set_recall(c.pool, 0.7, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_add(c.pool, &model, c.z, NULL, &g_err));
    before = logits_of(c.pool, c.asked, N, D);
    CHECK_STATUS(LOCUS_OK, locus_pool_save(c.pool, path, LOCUS_SAVE_POOL, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_save(c.pool, router, LOCUS_SAVE_EVERYTHING, &c.st, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_open(&pool, c.net, path, NULL, &g_err));
    CHECK_SIZE(M, locus_pool_get_info(pool).recall.models);
    CHECK_SIZE(64, locus_pool_get_info(pool).recall.landmarks);
    CHECK_SIZE(60, locus_pool_get_info(pool).recall.queries);
    after = logits_of(pool, c.asked, N, D);
    CHECK_SAME("logits of the file", before, after, N * (M + 1));
    free(after);
    { // saved again: the same file
        const char *twice = temp_path("memory4.safetensors");
        CHECK_STATUS(LOCUS_OK, locus_pool_save(pool, twice, LOCUS_SAVE_POOL, NULL, &g_err));
        first = slurp(path, &a), second = slurp(twice, &b);
        CHECK(a == b && memcmp(first, second, a) == 0);
        free(first), free(second);
        remove(twice);
    }
    // it can go on learning as the one it came from
    e = c.evals;
    e.scores.models = 1, e.scores.f32 = c.y + 3 * c.n, e.scores.mask = c.mask + 3 * c.n;
    CHECK_STATUS(LOCUS_OK, locus_pool_recall_model(pool, M, &e, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_recall_model(c.pool, M, &e, NULL, &g_err));
    free(before);
    before = logits_of(c.pool, c.asked, N, D), after = logits_of(pool, c.asked, N, D);
    {
        size_t i;
        for (i = 0; i < N; i++) { // the mean is kept as a float
            CHECK_SAME("the others", before + i * (M + 1), after + i * (M + 1), M);
            CHECK_NEAR((double)before[i * (M + 1) + M], (double)after[i * (M + 1) + M], 1e-4);
        }
    }
    free(after), free(before);
    before = logits_of(pool, c.asked, N, D);
    // net and pool from one file, the pool in the caller's memory
    CHECK_STATUS(LOCUS_OK, locus_net_open(&net, router, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, router, &g_err));
    ZERO(run);
    CHECK_ROOM(&run, LOCUS_OK, locus_pool_load(&fixed, net, &st, &run, &g_err));
    locus_safetensors_close(&st);
    CHECK_STATUS(LOCUS_OK, locus_pool_recall_model(fixed, M, &e, NULL, &g_err));
    after = logits_of(fixed, c.asked, N, D);
    CHECK_SAME("in the caller's memory", before, after, N * (M + 1));
    CHECK_STATUS(LOCUS_ERR_MEMORY, learn_recall(fixed, &c.evals, NULL, &g_err));
    model = model_named("no room", 1.0f);
    CHECK_STATUS(LOCUS_ERR_MEMORY, locus_pool_add(fixed, &model, c.z, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_remove(fixed, 2, &g_err));
    free(after);
    after = logits_of(fixed, c.asked, N, D);
    CHECK_SAME("after a removal", before + 3, after + 2, M - 2);
    locus_pool_set_recall(fixed, 0.0, NULL);
    CHECK_SIZE(0, locus_pool_get_info(fixed).recall.landmarks);
    free(after);
    after = logits_of(fixed, c.asked, N, D);
    locus_pool_destroy(fixed);
    locus_pool_destroy(pool);
    locus_net_destroy(net);
    remove(path), remove(router);
    free(before), free(after);
    room_close(__LINE__, &run);
    recall_free(&c);
}

static locus_status load_spoilt(const raw_file *f, const locus_net *net)
{
    size_t bytes;
    unsigned char *data = raw_bytes(f, &bytes);
    locus_safetensors st;
    locus_pool *pool = (locus_pool *)(void *)&bytes;
    locus_status s = locus_safetensors_parse(&st, data, bytes, NULL, &g_err);
    if (!CHECK_GOT(LOCUS_OK, s)) return s;
    s = locus_pool_load(&pool, net, &st, NULL, &g_err);
    CHECK((s == LOCUS_OK) == (pool != NULL));
    if (s == LOCUS_OK) locus_pool_destroy(pool);
    locus_safetensors_close(&st);
    free(data);
    return s;
}

static raw_file *reread(const char *path)
{
    locus_safetensors st;
    raw_file *f;
    CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err));
    f = raw_from_st(&st);
    locus_safetensors_close(&st);
    return f;
}

static void spoilt_memory_files_are_refused(void)
{
    static const char *const names[] = {"memory.map",      "memory.map_bias", "memory.landmarks",
                                        "memory.shared",   "memory.rows",     "memory.base",
                                        "memory.recalled", "memory.known",    "memory.difficulty",
                                        "memory.scalars",  "memory.items",    "memory.directions"};
    const char *path = temp_path("memory5.safetensors");
    recall_case c;
    raw_file *f;
    size_t i, k, shape[2];
    long blocks;
    recall_make(&c, 6, 40, 5, 8, COMPLETE, 7);
    CHECK_STATUS(LOCUS_OK, learn_recall(c.pool, &c.evals, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_save(c.pool, path, LOCUS_SAVE_POOL, NULL, &g_err));
    blocks = g_blocks;
    f = reread(path);
    CHECK_STATUS(LOCUS_OK, load_spoilt(f, c.net));
    for (i = 0; i < f->count; i++) { // every tensor of the memory is in the list
        for (k = 0; k < COUNT(names) && strcmp(names[k], f->t[i].name); k++) continue;
        CHECK(k < COUNT(names) || strncmp(f->t[i].name, "memory.", 7) != 0);
    }
    raw_free(f);
    for (k = 0; k < COUNT(names); k++) {
        raw_tensor *t;
        const int is_float = strcmp(names[k], "memory.recalled") && strcmp(names[k], "memory.known");
        context("%s", names[k]);
        f = reread(path); // missing
        for (i = 0; strcmp(f->t[i].name, names[k]); i++) continue;
        raw_drop(f, i);
        if (strcmp(names[k], "memory.items") && strcmp(names[k], "memory.directions")) {
            CHECK_STATUS(LOCUS_ERR_TENSOR, load_spoilt(f, c.net));
            CHECK_MESSAGE(names[k]);
        } else CHECK_STATUS(LOCUS_OK, load_spoilt(f, c.net)); // files of version 0.2 have none
        raw_free(f);
        f = reread(path); // one number less
        t = raw_find(f, names[k]);
        if (!strcmp(names[k], "memory.directions")) { // any number of rows is right, not any number of columns
            t->bytes = 4 * t->shape[0] * --t->shape[1];
        } else {
            size_t each = t->bytes, j;
            for (j = 0; j < t->rank; j++) each /= t->shape[j];
            t->bytes = each * (t->bytes / each - (t->rank == 2 ? t->shape[1] : 1));
            t->shape[0]--;
        }
        if (!strcmp(names[k], "memory.known")) // sizes are read off these
            CHECK_STATUS(LOCUS_ERR_TENSOR, load_spoilt(f, c.net));
        else if (!strcmp(names[k], "memory.landmarks") || !strcmp(names[k], "memory.map")) {
            CHECK_STATUS(LOCUS_ERR_POOL, load_spoilt(f, c.net));
            CHECK_MESSAGE(names[k]);
        } else {
            CHECK_STATUS(LOCUS_ERR_TENSOR, load_spoilt(f, c.net));
            CHECK_MESSAGE(names[k]);
        }
        raw_free(f);
        f = reread(path); // another rank
        t = raw_find(f, names[k]);
        t->shape[t->rank++] = 1;
        CHECK_STATUS(LOCUS_ERR_TENSOR, load_spoilt(f, c.net));
        raw_free(f);
        f = reread(path); // another type of the same size
        t = raw_find(f, names[k]);
        snprintf(t->dtype, sizeof t->dtype, "%s", t->bytes == 5 ? "I8" : is_float ? "I32" : "F64");
        CHECK_STATUS(LOCUS_ERR_UNSUPPORTED, load_spoilt(f, c.net));
        CHECK_MESSAGE(names[k]);
        raw_free(f);
        for (i = 0; i < 4 && is_float; i++) { // no numbers
            f = reread(path);
            t = raw_find(f, names[k]);
            put_f32(t->data + (i % 2 ? t->bytes - 4 : 0), i == 0   ? f_nan()
                                                          : i == 1 ? f_inf()
                                                          : i == 2 ? -f_inf()
                                                                   : 1e13f);
            CHECK_STATUS(LOCUS_ERR_POOL, load_spoilt(f, c.net));
            CHECK_MESSAGE(names[k]);
            raw_free(f);
        }
    }
    g_context[0] = 0;
    f = reread(path); // a tensor that nobody knows
    shape[0] = 3;
    raw_add(f, "memory.more", "U8", 1, shape, 3);
    CHECK_STATUS(LOCUS_ERR_TENSOR, load_spoilt(f, c.net));
    CHECK_MESSAGE("memory.more");
    raw_free(f);
    for (i = 0; i < 4; i++) { // landmarks: whole panels, not too many, not none
        static const size_t counts[] = {47, 1040, 0, 8};
        static const char *const sized[] = {"memory.landmarks", "memory.shared", "memory.rows"};
        context("%zu landmarks", counts[i]);
        f = reread(path);
        for (k = 0; k < 3; k++) {
            raw_tensor *t = raw_find(f, sized[k]);
            t->shape[k == 2] = counts[i];
            t->bytes = 4 * t->shape[0] * (t->rank == 2 ? t->shape[1] : 1);
            free(t->data);
            t->data = (unsigned char *)xmalloc(t->bytes);
            memset(t->data, 0, t->bytes);
        }
        CHECK_STATUS(LOCUS_ERR_POOL, load_spoilt(f, c.net));
        CHECK_MESSAGE("memory.landmarks");
        raw_free(f);
    }
    for (i = 0; i < 5; i++) { // rows of the map and directions: not too many
        static const size_t rows[] = {144, 128, 33, 32, 0};
        raw_tensor *t;
        context("%zu rows", rows[i]);
        f = reread(path);
        if (i < 2) {
            t = raw_find(f, "memory.map_bias"), t->shape[0] = rows[i], t->bytes = 4 * rows[i];
            free(t->data);
            t->data = (unsigned char *)calloc(rows[i] + 1, 4);
            t = raw_find(f, "memory.landmarks"), t->shape[1] = rows[i], t->bytes = 4 * t->shape[0] * rows[i];
            free(t->data);
            t->data = (unsigned char *)calloc(t->bytes, 1);
        }
        t = raw_find(f, i < 2 ? "memory.map" : "memory.directions");
        t->shape[0] = rows[i], t->bytes = 4 * rows[i] * t->shape[1];
        free(t->data);
        t->data = (unsigned char *)calloc(t->bytes + 1, 1);
        CHECK_STATUS(i % 2 || i == 4 ? LOCUS_OK : LOCUS_ERR_POOL, load_spoilt(f, c.net));
        if (i == 0 || i == 2) CHECK_MESSAGE(i ? "memory.directions" : "memory.map");
        raw_free(f);
    }
    for (i = 0; i < 9; i++) { // two numbers: a file of version 0.2 or 0.3; six: a newer one; no others
        raw_tensor *t;
        context("%zu scalars", i);
        f = reread(path);
        t = raw_find(f, "memory.scalars");
        t->shape[0] = i, t->bytes = 4 * i;
        free(t->data);
        t->data = (unsigned char *)calloc(4 * i + 1, 1);
        CHECK_STATUS(i == 2 || i == 6 ? LOCUS_OK : LOCUS_ERR_TENSOR, load_spoilt(f, c.net));
        raw_free(f);
    }
    { // numbers that are allowed and absurd: no crash, and what is learned from them is finite or an error
        size_t round;
        for (round = 0; round < 8; round++) {
            raw_file *bad = reread(path);
            raw_tensor *t = raw_find(bad, round < 2   ? "memory.landmarks"
                                          : round < 4 ? "memory.map"
                                          : round < 6 ? "memory.scalars"
                                                      : "memory.directions");
            size_t bytes, j;
            unsigned char *data;
            locus_safetensors st;
            locus_pool *pool = NULL;
            locus_evals e = c.evals;
            float *before, *after;
            context("absurd %zu", round);
            for (j = 0; j < t->bytes; j += 4) put_f32(t->data + j, round % 2 ? 9e11f : round == 4 ? -1.0f : 0.0f);
            if (round < 2)
                for (j = 0; j < t->bytes; j += 8) put_f32(t->data + j, -7e11f);
            data = raw_bytes(bad, &bytes);
            CHECK_STATUS(LOCUS_OK, locus_safetensors_parse(&st, data, bytes, NULL, &g_err));
            CHECK_STATUS(LOCUS_OK, locus_pool_load(&pool, c.net, &st, NULL, &g_err));
            if (round == 4 || round == 5) {
                locus_recall_info info = locus_pool_get_info(pool).recall;
                CHECK(info.weight >= 0.0 && info.weight <= 1.0);
            }
            e.scores.models = 1;
            before = logits_of(pool, c.asked, 8, 6);
            g_err.message[0] = 0;
            if (locus_pool_recall_model(pool, 2, &e, NULL, &g_err) == LOCUS_OK) {
                CHECK_STATUS(LOCUS_OK,
                             locus_pool_save(pool, temp_path("memory6.safetensors"), LOCUS_SAVE_POOL, NULL, &g_err));
                {
                    const float *row = pool->recall_base + 2;
                    int finite = *row == *row;
                    for (j = 0; j < pool->memory.landmarks; j++) {
                        float x = *locusi_recall_at(pool, 2, j);
                        finite &= x - x == 0.0f;
                    }
                    CHECK(finite);
                }
            } else {
                CHECK(g_err.message[0] != 0);
                after = logits_of(pool, c.asked, 8, 6);
                CHECK_SAME("after a failure", before, after, 8 * 5);
                free(after);
            }
            free(before);
            locus_pool_destroy(pool);
            locus_safetensors_close(&st);
            free(data);
            raw_free(bad);
        }
    }
    CHECK_SIZE((size_t)blocks, (size_t)g_blocks);
    remove(path);
    recall_free(&c);
}

static void memory_arguments_are_checked(void)
{
    recall_case c;
    locus_evals e;
    locus_learn_opts o;
    locus_pool *empty = NULL;
    float *before, *after;
    size_t round;
    recall_make(&c, 6, 40, 5, 20, COMPLETE, 7);
    for (round = 0; round < 2; round++) { // first without a memory, then with one: on failure all is as before
        before = logits_of(c.pool, c.asked, 20, 6);
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, learn_recall(NULL, &c.evals, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, learn_recall(c.pool, NULL, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_recall_model(NULL, 0, &c.evals, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_recall_model(c.pool, 0, NULL, NULL, &g_err));
        e = c.evals, e.scores.models = 4;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, learn_recall(c.pool, &e, NULL, &g_err));
        e = c.evals, e.scores.models = 0;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, learn_recall(c.pool, &e, NULL, &g_err));
        e = c.evals, e.queries.dim = 5;
        CHECK_STATUS(LOCUS_ERR_QUERY_DIM, learn_recall(c.pool, &e, NULL, &g_err));
        e = c.evals, e.scores.f32 = NULL;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, learn_recall(c.pool, &e, NULL, &g_err));
        e = c.evals, e.queries.count = 0;
        CHECK_ONE_OF(LOCUS_ERR_EMPTY_SET, LOCUS_ERR_ARGUMENT, learn_recall(c.pool, &e, NULL, &g_err));
        c.y[7] = 1.5f;
        CHECK_STATUS(LOCUS_ERR_SCORE, learn_recall(c.pool, &c.evals, NULL, &g_err));
        c.y[7] = 1.0f;
        memset(c.mask, 1, 200), memset(c.mask + 80, 0, 40);
        e = c.evals, e.scores.mask = c.mask;
        CHECK_STATUS(LOCUS_ERR_EMPTY_SET, learn_recall(c.pool, &e, NULL, &g_err));
        {
            float was = c.q[9];
            c.q[9] = f_nan();
            CHECK_STATUS(LOCUS_ERR_NONFINITE, learn_recall(c.pool, &c.evals, NULL, &g_err));
            c.q[9] = 1e7f;
            CHECK_STATUS(LOCUS_ERR_NONFINITE, learn_recall(c.pool, &c.evals, NULL, &g_err));
            c.q[9] = was, was = c.asked[3], c.asked[3] = f_inf();
            ZERO(o);
            o.unlabelled = queries_of(c.asked, 20, 6);
            CHECK_STATUS(LOCUS_ERR_NONFINITE, learn_recall(c.pool, &c.evals, &o, &g_err));
            o.unlabelled.dim = 7;
            CHECK_STATUS(LOCUS_ERR_QUERY_DIM, learn_recall(c.pool, &c.evals, &o, &g_err));
            c.asked[3] = was;
        }
        e = c.evals, e.scores.models = 1;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_recall_model(c.pool, 5, &e, NULL, &g_err));
        e.scores.models = 2;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_recall_model(c.pool, 0, &e, NULL, &g_err));
        e.scores.models = 1, c.y[3] = -1.0f;
        CHECK_STATUS(LOCUS_ERR_SCORE, locus_pool_recall_model(c.pool, 0, &e, NULL, &g_err));
        c.y[3] = 0.0f;
        if (!round)
            CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_recall_model(c.pool, 0, &e, NULL, &g_err)); // no memory yet
        after = logits_of(c.pool, c.asked, 20, 6);
        CHECK_SAME("after refusals", before, after, 100);
        free(before), free(after);
        CHECK_STATUS(LOCUS_OK, learn_recall(c.pool, &c.evals, NULL, &g_err));
    }
    CHECK_STATUS(LOCUS_OK, locus_pool_create(&empty, c.net, 0, NULL, NULL, &g_err));
    e = c.evals, e.scores.models = 0;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, learn_recall(empty, &e, NULL, &g_err));
    locus_pool_destroy(empty);
    { // extreme and tiny evaluations: finite memories
        size_t i, k;
        for (k = 0; k < 6; k++) {
            context("extreme %zu", k);
            for (i = 0; i < 40 * 6; i++)
                c.q[i] = k == 0 ? 0.0f : k == 1 ? 9e5f * (float)(i % 7 == 0) : k == 2 ? 1.0f : c.q[i];
            for (i = 0; i < 200; i++) c.y[i] = k == 3 ? 0.0f : k == 4 ? 1.0f : (float)(i % 3 == 0);
            e = c.evals;
            if (k == 5) e.queries.count = 1, c.y[0] = c.y[1] = c.y[2] = c.y[3] = c.y[4] = 1.0f;
            CHECK_STATUS(LOCUS_OK, learn_recall(c.pool, &e, NULL, &g_err));
            after = logits_of(c.pool, c.asked, 20, 6);
            for (i = 0; i < 100 && fabsf(after[i]) < 1e6f; i++) continue;
            CHECK_SIZE(100, i);
            free(after);
        }
    }
    recall_free(&c);
}

static void memories_survive_failing_allocations(void)
{
    int what;
    const char *path = temp_path("oom2.safetensors"), *before_path = temp_path("oom3.safetensors");
    recall_case c;
    recall_make(&c, 6, 40, 5, 20, COMPLETE, 7);
    for (what = 0; what < 6; what++) { // without a memory, with one, ...
        size_t n;
        int done = 0;
        for (n = 1; !done && n < 100; n++) {
            long blocks = g_blocks;
            locus_pool *opened = (locus_pool *)(void *)&c;
            locus_evals e = c.evals;
            locus_learn_opts o;
            float *before = logits_of(c.pool, c.asked, 20, 6), *after;
            size_t models = locus_pool_get_info(c.pool).recall.models;
            locus_status s;
            context("call %d, allocation %zu", what, n);
            ZERO(o);
            o.recall_weight = 0.9;
            e.scores.models = what == 2 ? 1 : 5;
            g_failed_mallocs = 0;
            g_fail_at = n;
            s = what < 2    ? learn_recall(c.pool, &e, &o, &g_err)
                : what == 2 ? locus_pool_recall_model(c.pool, 1, &e, NULL, &g_err)
                : what == 3 ? locus_pool_save(c.pool, path, LOCUS_SAVE_POOL, NULL, &g_err)
                            : locus_pool_open(&opened, c.net, path, NULL, &g_err);
            g_fail_at = 0;
            done = !g_failed_mallocs;
            CHECK_GOT(done ? LOCUS_OK : LOCUS_ERR_MEMORY, s);
            if (what >= 4) {
                CHECK(done ? opened != NULL : opened == NULL);
                if (done) locus_pool_destroy(opened);
            }
            if (!done || what > 2) {
                after = logits_of(c.pool, c.asked, 20, 6);
                CHECK_SAME("the pool", before, after, 100);
                CHECK_SIZE(models, locus_pool_get_info(c.pool).recall.models);
                free(after);
                if (what) CHECK_STATUS(LOCUS_OK, locus_pool_save(c.pool, before_path, LOCUS_SAVE_POOL, NULL, &g_err));
            }
            if (!done || what > 1) CHECK_SIZE((size_t)blocks, (size_t)g_blocks);
            free(before);
        }
        CHECK(done && n > 2);
    }
    remove(path), remove(before_path);
    recall_free(&c);
}

// An instruction set or another: the same memory to rounding.
static void memories_agree_between_instruction_sets(void)
{
    size_t wide; // 1: fewer evaluations than an encoding has numbers, and the rest of the space unknown
    for (wide = 0; wide < 2; wide++) {
        const size_t D = wide ? 140 : 11;
        float *first = NULL;
        int isa;
        for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
            recall_case c;
            locus_run o;
            locus_learn_opts memory;
            float *now;
            size_t i;
            if (!locus_isa_supported((locus_isa)isa)) continue;
            context("encodings of %zu, %s", D, locus_isa_name((locus_isa)isa));
            recall_make(&c, D, wide ? 60 : 100, 6, 50, UNEVEN, 12);
            for (i = 0; wide && i < 110 * D; i++) *(i < 60 * D ? &c.q[i] : &c.asked[i - 60 * D]) *= (float)(1 + i % D);
            locus_pool_destroy(c.pool);
            locus_net_destroy(c.net);
            ZERO(o);
            ZERO(memory);
            memory.recall_weight = 1.0;
            o.isa = (locus_isa)isa;
            CHECK_STATUS(LOCUS_OK, locus_net_create(&c.net, &c.st, &o, &g_err));
            c.pool = pool_of(c.net, c.z, c.M);
            CHECK_STATUS(LOCUS_OK, learn_recall(c.pool, &c.evals, &memory, &g_err));
            now = logits_of(c.pool, c.asked, 50, D);
            for (i = 0; first && i < 300; i++)
                if (!CHECK_NEAR((double)first[i], (double)now[i], 1e-3)) break;
            if (first) free(now);
            else first = now;
            recall_free(&c);
        }
        free(first);
    }
}

// ---------------------------------------------------------------------------------------------------- main

typedef struct test_case {
    const char *name;
    void (*run)(void);
} test_case;

#define TEST(name)                                                                                                     \
    {                                                                                                                  \
#name, name                                                                                                    \
    }
static const test_case tests[] = {
    TEST(golden_gradient_and_steps_tiny),
    TEST(gradients_match_central_differences),
    TEST(gradients_with_dropout_match_central_differences),
    TEST(gradients_of_larger_steps_match_central_differences),
    TEST(steps_in_parts_add_up),
    TEST(random_numbers_are_as_documented),
    TEST(initial_weights_are_as_specified),
    TEST(seeds_decide_the_weights),
    TEST(threads_change_no_bit),
    TEST(resumed_training_is_bit_identical),
    TEST(states_of_other_data_or_options_are_refused),
    TEST(spoilt_states_are_refused),
    TEST(states_out_of_bounds_are_refused),
    TEST(no_epoch_follows_the_last),
    TEST(callbacks_stop_training_and_it_goes_on),
    TEST(recipes_are_as_specified),
    TEST(best_weights_and_patience_follow_the_rules),
    TEST(subsets_are_drawn_as_asked),
    TEST(gradient_hook_sees_and_changes_the_gradient),
    TEST(gradients_of_parts_make_the_whole),
    TEST(divergence_is_reported_and_the_weights_are_kept),
    TEST(bad_arguments_are_refused),
    TEST(extreme_data_is_survived),
    TEST(trainers_survive_failing_allocations),
    TEST(trainers_work_in_given_memory),
    TEST(training_learns_and_the_saved_net_predicts_the_same),
    TEST(training_finds_the_weight_of_the_memory),
    TEST(strides_change_nothing),
    TEST(memories_match_a_dense_solution_in_double),
    TEST(memories_do_not_depend_on_the_order),
    TEST(wide_score_tables_teach_the_same),
    TEST(weights_mix_net_and_memory),
    TEST(memories_of_version_0_3_are_as_they_were),
    TEST(nets_say_how_much_a_memory_counts),
    TEST(memory_rows_stay_with_their_models),
    TEST(saved_memories_come_back_whole),
    TEST(spoilt_memory_files_are_refused),
    TEST(memory_arguments_are_checked),
    TEST(memories_survive_failing_allocations),
    TEST(memories_agree_between_instruction_sets),
};

int main(int argc, char **argv)
{
    const char *quick = getenv("LOCUS_TEST_QUICK"), *seed = getenv("LOCUS_TEST_SEED");
    size_t i, passed = 0, failed = 0;
    int isa;
    g_quick = quick && quick[0] && quick[0] != '0';
    if (seed) g_seed = (uint64_t)strtoul(seed, NULL, 10);
    printf("locus.h %s, seed %lu%s, instruction sets:", locus_version(), (unsigned long)g_seed,
           g_quick ? ", quick" : "");
    for (isa = 1; isa < LOCUS_ISA_COUNT; isa++)
        if (locus_isa_supported((locus_isa)isa)) printf(" %s", locus_isa_name((locus_isa)isa));
    printf("\n");
    fflush(stdout);
    for (i = 0; i < COUNT(tests); i++) {
        clock_t start = clock();
        long blocks;
        if (argc > 1 && !strstr(tests[i].name, argv[1])) continue;
        threads_stop();
        ZERO(g_run);
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
