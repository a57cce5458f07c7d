// SPDX-License-Identifier: MIT
// Tests of the route-only build (LOCUS_INFERENCE_ONLY, >>compact) against the whole library: the same router files give
// the same choices, embeddings and errors; no file makes it read outside its bytes; it works in the memory it is given.
//
//     cc -O2 tests/test_compact.c tests/compact.c -o build/test_compact -lm -lpthread && build/test_compact
//
// Run from the root of the repository. LOCUS_TEST_TMP: for files (default /tmp).

#define TEST_FILE "test_compact.c"
#include "harness.h"

#include "compact.h"

#define SHIPPED "examples/data/router.safetensors"
#define OLD "tests/golden-train/memory-0.3/router.safetensors"

// ---------------------------------------------------------------------------------------------------- files

typedef struct bytes {
    unsigned char *data;
    size_t count;
} bytes;

static bytes read_file(const char *path)
{
    bytes b = {NULL, 0};
    FILE *in = fopen(path, "rb");
    long end = -1;
    if (in && !fseek(in, 0, SEEK_END)) end = ftell(in);
    if (!CHECK(end > 0) || fseek(in, 0, SEEK_SET)) exit(2);
    b.count = (size_t)end;
    b.data = (unsigned char *)xmalloc(b.count);
    CHECK_SIZE(b.count, fread(b.data, 1, b.count, in));
    fclose(in);
    return b;
}

// What a random router has: a pool of M models with gaps in the costs, and whatever else `what` says.
enum { CALIBRATED = 1, GUARDED = 2, RECALL = 4, ENCODER = 8, SAB = 16 };
enum { Q = 12, D = 16, HEADS = 4 };

static locus_evals evals_of(const float *enc, size_t n, size_t q, const float *y, size_t models)
{
    locus_evals e;
    ZERO(e);
    e.queries = queries_of(enc, n, q);
    e.scores.f32 = y;
    e.scores.models = models;
    return e;
}

static bytes make_router(size_t M, int what, uint64_t seed)
{
    const char *path = temp_path("compact.safetensors");
    ref_rng g;
    ref_net net;
    raw_file *raw;
    unsigned char *file;
    locus_safetensors st;
    locus_net *made = NULL;
    locus_pool *pool;
    float *z = normals(M * D, 1.0, seed), *enc = normals(64 * Q, 0.3, seed + 1), *y = floats(64 * (M + 1));
    locus_evals e;
    size_t size, m, i;
    bytes b;
    g.state = seed;
    ref_init(&net, Q, D, HEADS, 2, 5, 9, (what & SAB) != 0, seed % 2 ? 3 : 2, seed);
    raw = raw_from_net(&net);
    file = raw_bytes(raw, &size);
    CHECK_STATUS(LOCUS_OK, locus_safetensors_parse(&st, file, size, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_net_create(&made, &st, NULL, &g_err));
    pool = pool_of(made, z, M);
    for (m = 0; m < M; m++) {
        locus_model model = *locus_pool_model(pool, m);
        model.cost = m % 4 == 3 ? (double)NAN : ref_uniform(&g) * 3.0;
        model.available = m % 7 != 5;
        CHECK_STATUS(LOCUS_OK, locus_pool_set(pool, m, &model, NULL, &g_err));
    }
    for (i = 0; i < 64 * M; i++) y[i] = ref_uniform(&g) < 0.3 + 0.5 * (double)(i / 64) / (double)M;
    e = evals_of(enc, 64, Q, y, M);
    if (what & RECALL) CHECK_STATUS(LOCUS_OK, learn_recall(pool, &e, NULL, &g_err));
    if (what & CALIBRATED) CHECK_STATUS(LOCUS_OK, locus_pool_calibrate(pool, &e, NULL, &g_err));
    if (what & GUARDED) CHECK_STATUS(LOCUS_OK, locus_pool_set_guard(pool, M / 2, 0.04, &g_err));
    CHECK_STATUS(LOCUS_OK,
                 locus_pool_save(pool, path, what & ENCODER ? LOCUS_SAVE_EVERYTHING : LOCUS_SAVE_ROUTER, &st, &g_err));
    b = read_file(path);
    remove(path);
    locus_pool_destroy(pool);
    locus_net_destroy(made);
    locus_safetensors_close(&st);
    free(file);
    raw_free(raw);
    ref_free(&net);
    free(z);
    free(enc);
    free(y);
    return b;
}

typedef struct pair { // one file in both builds
    bytes file;
    locus_router whole, core;
    size_t M, q, d;
} pair;

static int pair_load(pair *p, bytes file)
{
    p->file = file;
    ZERO(p->whole);
    ZERO(p->core);
    if (!CHECK_STATUS(LOCUS_OK, locus_router_load(&p->whole, file.data, file.count, NULL, &g_err)) ||
        !CHECK_STATUS(LOCUS_OK, compact.load(&p->core, file.data, file.count, NULL, &g_err)))
        return 0;
    p->M = locus_router_count(&p->whole);
    p->q = p->whole.q_dim;
    p->d = p->whole.z_dim;
    CHECK_SIZE(p->M, compact.count(&p->core));
    CHECK_SIZE(p->q, p->core.q_dim);
    CHECK_SIZE(p->d, p->core.z_dim);
    CHECK((p->whole.text != NULL) == (p->core.text != NULL));
    return 1;
}

static void pair_free(pair *p)
{
    locus_router_close(&p->whole);
    compact.close(&p->core);
    CHECK(p->core.pool == NULL && p->whole.pool == NULL && compact.count(&p->core) == 0);
    free(p->file.data);
}

// The recall's logit of a chance near 0 or 1 is steep: what is close are the chances.
static void compare(const pair *p, const locus_choice *a, const locus_choice *b, size_t n, double *worst_logit)
{
    size_t i;
    for (i = 0; i < n; i++) {
        double error;
        if (!CHECK_SIZE(a[i].model, b[i].model)) return;
        CHECK(a[i].rule == b[i].rule);
        if (a[i].model == SIZE_MAX) continue;
        error = fabs((double)a[i].logit - (double)b[i].logit) / (1.0 + fabs((double)a[i].logit));
        *worst_logit = error > *worst_logit ? error : *worst_logit;
        CHECK_NEAR((double)a[i].probability, (double)b[i].probability, 2e-6);
        CHECK_NEAR(a[i].cost, b[i].cost, 0.0);
        CHECK_NEAR(a[i].utility, b[i].utility, 2e-6 * (1.0 + fabs(a[i].utility)));
        CHECK_TEXT(locus_router_name(&p->whole, a[i].model), compact.name(&p->core, b[i].model));
    }
}

// Both route the same rows by the same rules.
static void both_route(const pair *p, const locus_queries *q, const locus_route_opts *o, double *worst_logit)
{
    const size_t top = o && o->top ? o->top : 1;
    locus_choice *a = (locus_choice *)xmalloc(q->count * top * sizeof *a);
    locus_choice *b = (locus_choice *)xmalloc(q->count * top * sizeof *b);
    const locus_status s = locus_router_route(&p->whole, q, o, a, NULL, &g_err);
    CHECK_STATUS(s, compact.route(&p->core, q, o, b, NULL, &g_err));
    if (!s) compare(p, a, b, q->count * top, worst_logit);
    free(a);
    free(b);
}

// Every rule, at random.
static void both_route_all(const pair *p, const locus_queries *q, size_t rounds)
{
    unsigned char *available = (unsigned char *)xmalloc(p->M), *each = (unsigned char *)xmalloc(q->count * p->M);
    double *cost = (double *)xmalloc(p->M * sizeof *cost), *costs = (double *)xmalloc(q->count * p->M * sizeof *costs);
    double worst_logit = 0.0;
    locus_route_opts o;
    size_t round, i;
    both_route(p, q, NULL, &worst_logit);
    for (round = 0; round < rounds; round++) {
        ZERO(o);
        context("round %zu", round);
        for (i = 0; i < p->M; i++) available[i] = ref_uniform(&g_rng) < 0.8;
        for (i = 0; i < q->count * p->M; i++) each[i] = ref_uniform(&g_rng) < 0.8;
        for (i = 0; i < p->M; i++) cost[i] = ref_uniform(&g_rng) < 0.2 ? (double)NAN : ref_uniform(&g_rng);
        for (i = 0; i < q->count * p->M; i++) costs[i] = ref_uniform(&g_rng) < 0.2 ? (double)NAN : ref_uniform(&g_rng);
        o.top = ref_range(&g_rng, 0, p->M + 2);
        if (round % 2) o.available = available;
        if (round % 3 == 1) o.query_available = each;
        if (round % 4 == 1) o.cost = cost;
        if (round % 5 == 1) o.query_cost = costs;
        if (round % 3 == 2) o.max_cost = 0.7;
        if (round % 2 == 1) o.lambda = 0.3 * ref_uniform(&g_rng);
        o.unpriced = (locus_unpriced)(round % 3);
        o.guard = (locus_guard_use)(round / 3 % 3);
        o.default_model = round % p->M;
        o.margin = 0.1 * ref_uniform(&g_rng);
        both_route(p, q, &o, &worst_logit);
    }
    context("%s", "");
    CHECK_NEAR(0.0, worst_logit, 2e-5);
    if (getenv("LOCUS_TEST_VERBOSE")) printf("  %s: logits within %.2g\n", g_test, worst_logit);
    free(available);
    free(each);
    free(cost);
    free(costs);
}

// ---------------------------------------------------------------------------------------------------- routing

static void test_shipped(void)
{
    static const char *const texts[] = {"What is the derivative of x^2?", "", "\xff\xfe not UTF-8 \0 at all",
                                        "Erkl\xc3\xa4re Quanten \xe9\x87\x8f\xe5\xad\x90 12345", "a"};
    pair p;
    float *enc = normals(40 * 128, 0.09, 3), x[128], y[128];
    locus_queries q = queries_of(enc, 39, 128);
    locus_choice a[3], b[3];
    locus_route_opts o;
    double worst_logit = 0.0;
    size_t i;
    if (!pair_load(&p, read_file(SHIPPED))) return;
    CHECK_SIZE(25, p.M);
    for (i = 0; i < p.M; i++) {
        CHECK_TEXT(locus_router_name(&p.whole, i), compact.name(&p.core, i));
        CHECK_SIZE(i, compact.find(&p.core, locus_router_name(&p.whole, i)));
        CHECK_SIZE(i, locus_router_find(&p.whole, locus_router_name(&p.whole, i)));
    }
    CHECK(!compact.name(&p.core, p.M) && !locus_router_name(&p.whole, p.M));
    CHECK(compact.find(&p.core, "no such") == SIZE_MAX && locus_router_find(&p.whole, NULL) == SIZE_MAX);
    CHECK(compact.find(&p.core, NULL) == SIZE_MAX && locus_router_find(&p.whole, "no such") == SIZE_MAX);
    ZERO(o);
    o.top = 3;
    for (i = 0; i < COUNT(texts); i++) {
        const size_t n = i == 2 ? 22 : strlen(texts[i]);
        CHECK_STATUS(LOCUS_OK, locus_router_route_text(&p.whole, texts[i], n, &o, a, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, compact.route_text(&p.core, texts[i], n, &o, b, NULL, &g_err));
        compare(&p, a, b, 3, &worst_logit);
        CHECK_STATUS(LOCUS_OK, locus_encode_text(p.whole.text, texts[i], n, x, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, compact.encode_text(p.core.text, texts[i], n, y, NULL, &g_err));
        CHECK_SAME("encoding", x, y, 128);
    }
    CHECK_NEAR(0.0, worst_logit, 2e-5);
    q.stride = 129; // rows apart, the last but one
    both_route_all(&p, &q, trials(60));
    free(enc);
    pair_free(&p);
}

static void test_old_file(void)
{
    pair p;
    float *enc = normals(20 * 6, 0.5, 4);
    locus_queries q = queries_of(enc, 20, 6);
    if (!pair_load(&p, read_file(OLD))) return;
    both_route_all(&p, &q, trials(60));
    free(enc);
    pair_free(&p);
}

static void test_synthetic(void)
{
    size_t i;
    for (i = 0; i < 16; i++) {
        pair p;
        float *enc = normals(9 * Q, 0.6, 50 + i);
        locus_queries q = queries_of(enc, 9, Q);
        if (!pair_load(&p, make_router(1 + 3 * i, (int)i, 900 + i))) return;
        both_route_all(&p, &q, trials(24));
        free(enc);
        pair_free(&p);
    }
}

// Loaded at any alignment, into memory of any alignment: the same bits.
static void test_alignment(void)
{
    const bytes file = make_router(6, CALIBRATED | GUARDED | RECALL, 77);
    unsigned char *room = (unsigned char *)xmalloc(file.count + 8);
    static unsigned char own[4096], work[16384];
    float *enc = normals(5 * Q, 0.6, 5);
    locus_queries q = queries_of(enc, 5, Q);
    locus_choice first[5], c[5];
    size_t shift, i;
    for (shift = 0; shift < 8; shift++) {
        locus_router r;
        locus_run run;
        size_t before = g_mallocs;
        ZERO(run);
        memcpy(room + shift, file.data, file.count);
        run.memory = own + shift;
        run.memory_bytes = sizeof own - shift;
        if (!CHECK_STATUS(LOCUS_OK, compact.load(&r, room + shift, file.count, &run, &g_err))) break;
        run.memory = work + 7 * shift;
        run.memory_bytes = sizeof work - 7 * shift;
        ZERO(c);
        CHECK_STATUS(LOCUS_OK, compact.route(&r, &q, NULL, c, &run, &g_err));
        if (!shift) memcpy(first, c, sizeof c);
        for (i = 0; i < 5; i++) CHECK(c[i].model == first[i].model && !memcmp(&c[i].logit, &first[i].logit, 4));
        compact.close(&r);
        CHECK_SIZE(before, g_mallocs);
    }
    free(room);
    free(enc);
    free(file.data);
}

// The shipped router with further models.
static bytes grown_router(size_t M)
{
    const char *path = temp_path("grown.safetensors");
    locus_router r;
    locus_safetensors st;
    bytes b;
    CHECK_STATUS(LOCUS_OK, locus_router_open(&r, SHIPPED, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, SHIPPED, &g_err));
    while (locus_router_count(&r) < M) {
        char name[32];
        snprintf(name, sizeof name, "more %zu", locus_router_count(&r));
        if (!CHECK_STATUS(LOCUS_OK, locus_router_add(&r, name, locus_pool_embedding(r.pool, 3), NULL, NULL, &g_err)))
            break;
    }
    CHECK_STATUS(LOCUS_OK, locus_pool_save(r.pool, path, LOCUS_SAVE_ROUTER, &st, &g_err));
    b = read_file(path);
    remove(path);
    locus_router_close(&r);
    locus_safetensors_close(&st);
    return b;
}

// What a device needs beside the file; what is too little says what would do.
static void needs(size_t M, size_t most)
{
    static unsigned char own[32 << 10], work[32 << 10];
    const bytes file = grown_router(M);
    locus_router r;
    locus_run run;
    locus_choice c;
    size_t need, text_need;
    ZERO(run);
    run.memory = own;
    CHECK_STATUS(LOCUS_ERR_MEMORY, compact.load(&r, file.data, file.count, &run, &g_err));
    CHECK(!r.pool && !r.net);
    need = g_err.bytes;
    CHECK(need <= sizeof own);
    run.memory_bytes = need;
    CHECK_STATUS(LOCUS_OK, compact.load(&r, file.data, file.count, &run, &g_err));
    CHECK_SIZE(M, compact.count(&r));
    run.memory = work;
    run.memory_bytes = 0;
    CHECK_STATUS(LOCUS_ERR_MEMORY, compact.route_text(&r, "text", 4, NULL, &c, &run, &g_err));
    text_need = g_err.bytes;
    CHECK(text_need <= sizeof work);
    run.memory_bytes = text_need;
    CHECK_STATUS(LOCUS_OK, compact.route_text(&r, "text", 4, NULL, &c, &run, &g_err));
    CHECK(need + text_need + sizeof r <= most);
    if (getenv("LOCUS_TEST_VERBOSE")) printf("  RAM of %zu models: %zu bytes\n", M, need + text_need + sizeof r);
    compact.close(&r);
    free(file.data);
}

static void test_memory(void)
{
    needs(25, 24 << 10);
    needs(112, 32 << 10);
}

// ---------------------------------------------------------------------------------------------------- models

static void test_setters(void)
{
    pair p;
    float *enc = normals(9 * Q, 0.6, 8), *z = normals(3 * D, 1.0, 9);
    locus_queries q = queries_of(enc, 9, Q);
    size_t i, at = 0, other = 0;
    char name[8] = "new0";
    if (!pair_load(&p, make_router(5, CALIBRATED | GUARDED | RECALL, 31))) return;
    for (i = 0; i < 3; i++, name[3]++) {
        CHECK_STATUS(LOCUS_OK, locus_router_add(&p.whole, name, z + i * D, &at, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, compact.add(&p.core, name, z + i * D, &other, NULL, &g_err));
        CHECK_SIZE(5 + i, at);
        CHECK_SIZE(at, other);
        CHECK_SIZE(at, compact.find(&p.core, name));
        CHECK_STATUS(LOCUS_ERR_NAME, compact.add(&p.core, name, z, NULL, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_NAME, locus_router_add(&p.whole, name, z, NULL, NULL, &g_err));
    }
    p.M = 8;
    both_route_all(&p, &q, trials(40));
    for (i = 0; i < 8; i++) {
        const double cost = i == 3 ? (double)NAN : 0.1 * (double)(i * 5 % 8);
        CHECK_STATUS(LOCUS_OK, locus_router_set_available(&p.whole, i, i % 3 != 1, &g_err));
        CHECK_STATUS(LOCUS_OK, compact.set_available(&p.core, i, i % 3 != 1, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_router_set_cost(&p.whole, i, cost, &g_err));
        CHECK_STATUS(LOCUS_OK, compact.set_cost(&p.core, i, cost, &g_err));
    }
    both_route_all(&p, &q, trials(40));
    for (i = 0; i < 8; i++) {
        CHECK_STATUS(LOCUS_OK, locus_router_set_available(&p.whole, i, 0, &g_err));
        CHECK_STATUS(LOCUS_OK, compact.set_available(&p.core, i, 0, &g_err));
    }
    both_route_all(&p, &q, 0); // no candidate
    z[1] = f_nan();
    CHECK_STATUS(LOCUS_ERR_POOL, compact.add(&p.core, "x", z, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_NAME, compact.add(&p.core, "", z + D, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_NAME, compact.add(&p.core, "a\nb", z + D, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_NAME, compact.add(&p.core, "a\xff", z + D, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_POOL, compact.set_cost(&p.core, 0, -1.0, &g_err));
    CHECK_STATUS(LOCUS_ERR_POOL, locus_router_set_cost(&p.whole, 0, HUGE_VAL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.set_cost(&p.core, 8, 1.0, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_router_set_available(&p.whole, 8, 1, &g_err));
    CHECK_SIZE(8, compact.count(&p.core));
    free(enc);
    free(z);
    pair_free(&p);
}

static locus_status whole_encode(const locus_net *net, const locus_evals *e, float *z)
{
    return locus_encode(net, e, z, LOCUS_ENCODE_AUTO, NULL, &g_err);
}

static double apart(const float *a, const float *b, size_t n)
{
    double square = 0.0, difference = 0.0;
    size_t i;
    for (i = 0; i < n; i++) {
        square += (double)a[i] * (double)a[i];
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    }
    return sqrt(difference / square);
}

// Embeddings as the whole library makes them, whatever the order and the way scores are written down.
static void test_encoder(void)
{
    size_t round;
    for (round = 0; round < 8; round++) {
        const size_t n = round ? 1 + 37 * round : 1, M = 2;
        pair p;
        float *enc, *y, *z, *other, *shuffled;
        unsigned char *u8 = (unsigned char *)xmalloc(M * n), *mask = (unsigned char *)xmalloc(M * n);
        locus_evals e;
        size_t i, j, m, d;
        context("round %zu", round);
        if (!pair_load(&p, round == 7 ? read_file(SHIPPED) : make_router(3, ENCODER, 600 + round))) return;
        d = p.d;
        enc = normals(n * p.q, round == 7 ? 0.09 : 0.6, 60 + round);
        shuffled = floats(n * p.q);
        y = floats(M * n);
        z = floats(M * d);
        other = floats(M * d);
        for (i = 0; i < M * n; i++) {
            u8[i] = (unsigned char)(ref_bits(&g_rng) % 2);
            mask[i] = i % n == 0 || ref_bits(&g_rng) % 4 != 0;
            y[i] = round % 2 ? (float)u8[i] : (float)ref_uniform(&g_rng);
        }
        e = evals_of(enc, n, p.q, y, M);
        if (round % 3 == 1) e.scores.mask = mask;
        CHECK_STATUS(LOCUS_OK, whole_encode(p.whole.net, &e, z));
        CHECK_STATUS(LOCUS_OK, compact.encode(p.core.net, &e, other, NULL, &g_err));
        for (m = 0; m < M; m++) CHECK_NEAR(0.0, apart(z + m * d, other + m * d, d), 1e-5);
        if (getenv("LOCUS_TEST_VERBOSE")) printf("  %zu evaluations: within %.2g\n", n, apart(z, other, d));
        memcpy(z, other, M * d * sizeof *z);
        if (round % 2) { // the same as bytes; masked out as missing
            e.scores.f32 = NULL;
            e.scores.u8 = u8;
            CHECK_STATUS(LOCUS_OK, compact.encode(p.core.net, &e, other, NULL, &g_err));
            CHECK_SAME("from bytes", z, other, M * d);
            e.scores.f32 = y;
            e.scores.u8 = NULL;
        }
        for (i = 0; i < M * n; i++)
            if (e.scores.mask && !mask[i]) y[i] = f_nan();
        e.scores.mask = NULL;
        CHECK_STATUS(LOCUS_OK, compact.encode(p.core.net, &e, other, NULL, &g_err));
        CHECK_SAME("missing as NaN", z, other, M * d);
        for (i = n; i-- > 1;) { // another order
            j = ref_range(&g_rng, 0, i);
            for (m = 0; m < M; m++) {
                const float t = y[m * n + i];
                y[m * n + i] = y[m * n + j];
                y[m * n + j] = t;
            }
            for (m = 0; m < p.q; m++) {
                const float t = enc[i * p.q + m];
                enc[i * p.q + m] = enc[j * p.q + m];
                enc[j * p.q + m] = t;
            }
        }
        CHECK_STATUS(LOCUS_OK, compact.encode(p.core.net, &e, other, NULL, &g_err));
        CHECK_SAME("another order", z, other, M * d);
        free(enc);
        free(shuffled);
        free(y);
        free(z);
        free(other);
        free(u8);
        free(mask);
        pair_free(&p);
    }
    context("%s", "");
}

// A new model from its evaluations, on the device and in the whole library.
static void test_onboarding(void)
{
    pair p;
    locus_array enc, y;
    locus_evals e;
    float a[128], b[128], *q = normals(10 * 128, 0.09, 12);
    locus_queries queries = queries_of(q, 10, 128);
    if (!pair_load(&p, read_file(SHIPPED))) return;
    CHECK_STATUS(LOCUS_OK, locus_npy_open(&enc, "examples/data/new_encodings.npy", &g_err));
    CHECK_STATUS(LOCUS_OK, locus_npy_open(&y, "examples/data/new_scores.npy", &g_err));
    e = evals_of((const float *)enc.data, enc.shape[0], enc.shape[1], NULL, 1);
    if (y.dtype == LOCUS_F32) e.scores.f32 = (const float *)y.data;
    else e.scores.u8 = (const unsigned char *)y.data;
    CHECK_STATUS(LOCUS_OK, whole_encode(p.whole.net, &e, a));
    CHECK_STATUS(LOCUS_OK, compact.encode(p.core.net, &e, b, NULL, &g_err));
    CHECK_NEAR(0.0, apart(a, b, 128), 1e-5);
    CHECK_STATUS(LOCUS_OK, locus_router_add(&p.whole, "new", b, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, compact.add(&p.core, "new", b, NULL, NULL, &g_err));
    p.M++;
    both_route_all(&p, &queries, 10);
    locus_array_close(&enc);
    locus_array_close(&y);
    free(q);
    pair_free(&p);
}

// ---------------------------------------------------------------------------------------------------- errors

static void test_errors(void)
{
    pair p;
    float *enc = normals(4 * Q, 0.6, 14), y[4] = {0.0f, 1.0f, 1.0f, 0.5f}, z[D];
    locus_queries q = queries_of(enc, 4, Q);
    locus_evals e = evals_of(enc, 4, Q, y, 1);
    locus_choice c[4];
    locus_route_opts o;
    locus_router none;
    ZERO(none);
    ZERO(o);
    if (!pair_load(&p, make_router(4, ENCODER, 70))) return;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.load(NULL, p.file.data, p.file.count, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.load(&none, NULL, p.file.count, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.open(NULL, SHIPPED, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.open(&none, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_IO, compact.open(&none, "no such file", NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_NO_POOL, compact.open(&none, "tests/golden/tiny/model.safetensors", NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.route(&none, &q, NULL, c, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.route(NULL, &q, NULL, c, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.route(&p.core, NULL, NULL, c, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.route(&p.core, &q, NULL, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.route_text(NULL, "a", 1, NULL, c, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_MISMATCH, compact.route_text(&p.core, "a", 1, NULL, c, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_MISMATCH, locus_router_route_text(&p.whole, "a", 1, NULL, c, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.add(&p.core, NULL, enc, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.add(&p.core, "x", NULL, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.encode(NULL, &e, z, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.encode(p.core.net, NULL, z, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.encode(p.core.net, &e, NULL, NULL, &g_err));
    q.dim = Q - 1;
    CHECK_STATUS(LOCUS_ERR_QUERY_DIM, compact.route(&p.core, &q, NULL, c, NULL, &g_err));
    q.dim = Q;
    q.stride = Q - 1;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.route(&p.core, &q, NULL, c, NULL, &g_err));
    q.stride = 0;
    o.lambda = -1.0;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.route(&p.core, &q, &o, c, NULL, &g_err));
    o.lambda = (double)NAN;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, compact.route(&p.core, &q, &o, c, NULL, &g_err));
    e.queries.dim = Q + 1;
    CHECK_STATUS(LOCUS_ERR_QUERY_DIM, compact.encode(p.core.net, &e, z, NULL, &g_err));
    e.queries.dim = Q;
    y[2] = 1.5f;
    CHECK_STATUS(LOCUS_ERR_SCORE, compact.encode(p.core.net, &e, z, NULL, &g_err));
    y[0] = y[1] = y[2] = y[3] = f_nan();
    CHECK_STATUS(LOCUS_ERR_EMPTY_SET, compact.encode(p.core.net, &e, z, NULL, &g_err));
    y[3] = 1.0f;
    enc[3 * Q + 2] = f_inf();
    CHECK_STATUS(LOCUS_ERR_NONFINITE, compact.encode(p.core.net, &e, z, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_NONFINITE, compact.route(&p.core, &q, NULL, c, NULL, &g_err));
    enc[3 * Q + 2] = 1e30f;
    CHECK_STATUS(LOCUS_ERR_NONFINITE, compact.route(&p.core, &q, NULL, c, NULL, &g_err));
    g_fail_at = 1;
    CHECK_STATUS(LOCUS_ERR_MEMORY, compact.load(&none, p.file.data, p.file.count, NULL, &g_err));
    g_fail_at = 0;
    pair_free(&p);
    if (!pair_load(&p, make_router(2, 0, 71))) return; // the predictor alone
    CHECK_STATUS(LOCUS_ERR_NO_ENCODER, compact.encode(p.core.net, &e, z, NULL, &g_err));
    pair_free(&p);
    if (!pair_load(&p, make_router(2, ENCODER | SAB, 72))) return;
    CHECK_STATUS(LOCUS_ERR_UNSUPPORTED, compact.encode(p.core.net, &e, z, NULL, &g_err));
    pair_free(&p);
    free(enc);
}

// What one file in many spoilt forms may do: be refused, or route. Blocks have the exact size, for sanitizers.
static int hostile(const unsigned char *data, size_t count, const locus_queries *q)
{
    unsigned char *exact = (unsigned char *)xmalloc(count);
    locus_router r;
    locus_choice c[2];
    locus_status s;
    memcpy(exact, data, count);
    s = compact.load(&r, exact, count, NULL, &g_err);
    if (!s) {
        size_t i;
        float y[2] = {0.0f, 1.0f}, *z = floats(r.z_dim);
        locus_evals e = evals_of(q->encodings, 2, Q, y, 1);
        for (i = 0; i < compact.count(&r); i++) CHECK(compact.name(&r, i)[0] != 0);
        if (r.q_dim == Q) {
            compact.route(&r, q, NULL, c, NULL, &g_err);
            compact.encode(r.net, &e, z, NULL, &g_err);
        }
        free(z);
        compact.close(&r);
    } else {
        CHECK(!r.pool && g_err.status == s && g_err.message[0]);
    }
    free(exact);
    return s != 0;
}

static void test_hostile(void)
{
    bytes file = make_router(3, CALIBRATED | GUARDED | RECALL | ENCODER, 80);
    float *enc = normals(2 * Q, 0.6, 15);
    locus_queries q = queries_of(enc, 2, Q);
    size_t header = 0, i, refused = 0, tried = 0;
    for (i = 0; i < 8; i++) header |= (size_t)file.data[i] << 8 * i;
    for (i = 0; i < file.count; i += i < header + 16 ? 1 + 6 * (size_t)g_quick : 97) CHECK(hostile(file.data, i, &q));
    for (i = 0; i < trials(6000); i++) {
        const size_t at = i % 3 ? ref_range(&g_rng, 0, header + 8) : ref_range(&g_rng, 0, file.count - 1);
        const unsigned char before = file.data[at];
        static const unsigned char likely[] = "\"{}[]:,\\09 \0\xff";
        file.data[at] = i % 2 ? likely[i / 2 % sizeof likely] : (unsigned char)(before ^ 1u << i / 2 % 8);
        tried += file.data[at] != before;
        refused += (size_t)hostile(file.data, file.count, &q);
        file.data[at] = before;
    }
    CHECK(refused > tried / 2);
    CHECK(!hostile(file.data, file.count, &q));
    free(enc);
    free(file.data);
}

// Headers that other writers may write, and ones that nobody should.
static void test_headers(void)
{
    static const struct {
        const char *from, *to;
        locus_status status;
    } cases[] = {{"pool.names", "pool.nameZ", LOCUS_ERR_TENSOR},
                 {"pool.embeddings", "pool.embeddingZ", LOCUS_ERR_NO_POOL},
                 {"decoder.U.bias", "decoder.V.bias", LOCUS_ERR_TENSOR},
                 {"\"locus.format\":\"1\"", "\"locus.format\":\"2\"", LOCUS_ERR_METADATA},
                 {"\"locus.net_hash\":\"", "\"locus.net_hasH\":\"", LOCUS_ERR_METADATA},
                 {"\"dtype\":\"F32\"", "\"dtype\":\"I32\"", LOCUS_ERR_UNSUPPORTED},
                 {"\"dtype\":\"F32\"", "\"dtype\":\"X32\"", LOCUS_ERR_UNSUPPORTED},
                 {"\"dtype\":\"F32\"", "\"dtypo\":\"F32\"", LOCUS_ERR_FORMAT},
                 {"\"shape\":[", "\"shape\":(", LOCUS_ERR_FORMAT},
                 {"\"data_offsets\":[0,", "\"data_offsets\":[1,", LOCUS_ERR_FORMAT},
                 {"memory.map_bias", "memory.map_boas", LOCUS_ERR_TENSOR}};
    const bytes file = make_router(3, RECALL, 81);
    size_t i, at;
    for (i = 0; i < COUNT(cases); i++) {
        const size_t n = strlen(cases[i].from);
        locus_router r;
        context("%s", cases[i].to);
        for (at = 0; at + n < file.count && memcmp(file.data + at, cases[i].from, n); at++) continue;
        if (!CHECK(at + n < file.count)) continue;
        memcpy(file.data + at, cases[i].to, n);
        CHECK_STATUS(cases[i].status, compact.load(&r, file.data, file.count, NULL, &g_err));
        memcpy(file.data + at, cases[i].from, n);
    }
    context("%s", "");
    for (at = file.count; at-- > file.count - 2000;) { // a weight changes
        locus_router r;
        locus_status s;
        file.data[at] ^= 64;
        s = compact.load(&r, file.data, file.count, NULL, &g_err);
        if (!s) compact.close(&r);
        file.data[at] ^= 64;
    }
    free(file.data);
}

static const test_case tests[] = {
    TEST(test_shipped), TEST(test_old_file), TEST(test_synthetic), TEST(test_alignment),
    TEST(test_memory),  TEST(test_setters),  TEST(test_encoder),   TEST(test_onboarding),
    TEST(test_errors),  TEST(test_hostile),  TEST(test_headers),
};

MAIN(tests)
