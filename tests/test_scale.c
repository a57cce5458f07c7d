// SPDX-License-Identifier: MIT
// Tests of pools of very many models: names are found as a linear search finds them, and routing by a screen chooses
// exactly what ranking all logits chooses, on pools made to deceive it.
//
//     cc -O2 tests/test_scale.c -o build/test_scale -lm -lpthread && build/test_scale [part of a test's name]
//
// The screen is made to start at pools of 24 models, so that small ones will do. Environment: as test_train.c.

#include <stddef.h>
#include <stdlib.h>

void *test_malloc(size_t bytes);
void test_free(void *p);
#define LOCUS_MALLOC(bytes) test_malloc(bytes)
#define LOCUS_FREE(pointer) test_free(pointer)
#define LOCUSI_SCREEN_FROM 24
#define LOCUS_IMPLEMENTATION
#include "../locus.h"

#define TEST_FILE "test_scale.c"
#include "harness.h"

static ref_rng g_rng = {7};

static double uniform(void) { return ref_uniform(&g_rng); }
static size_t below(size_t n) { return ref_range(&g_rng, 0, n - 1); }

// A net; loud: with weights so large that logits may overflow.
static locus_net *net_of(size_t D, size_t d, size_t hidden, locus_isa isa, int loud, uint64_t seed)
{
    ref_net ref;
    raw_file *f;
    locus_net *net = NULL;
    locus_net_opts opts;
    size_t i;
    ref_init(&ref, D, d, 1, 1, 2, hidden, 0, 3, seed);
    for (i = 0; loud && i < ref.count; i++) {
        size_t j;
        if (!strncmp(ref.t[i].name, "decoder.", 8))
            for (j = 0; j < ref.t[i].count; j++) ref.t[i].v[j] = (double)(float)(ref.t[i].v[j] * 1e6);
    }
    f = raw_from_net(&ref);
    ZERO(opts);
    opts.isa = isa;
    CHECK_STATUS(LOCUS_OK, raw_create(f, &opts, &net));
    raw_free(f);
    ref_free(&ref);
    return net;
}

enum { PLAIN, EQUAL, NEAR, TINY, VANISHING, HUGE_ONES, ZEROS, SPIKES, SCALES, TWINS, KINDS };

// Embeddings [M, d] of a kind.
static float *embeddings(size_t M, size_t d, int kind)
{
    float *z = normals(M * d, 1.0, ref_bits(&g_rng));
    size_t m, j;
    for (m = 0; m < M; m++) {
        float *row = z + m * d;
        const double scale = pow(10.0, 16.0 * uniform() - 8.0);
        for (j = 0; j < d; j++) {
            if (kind == EQUAL) row[j] = z[j];
            if (kind == NEAR && m) row[j] = z[j] * (1.0f + 2e-7f * row[j]);
            if (kind == TINY) row[j] *= 1e-20f;
            if (kind == VANISHING) row[j] *= 1e-38f;
            if (kind == HUGE_ONES) row[j] *= 1e10f;
            if (kind == ZEROS && m % 3) row[j] = 0.0f;
            if (kind == SPIKES) row[j] = j == m % d ? 1e6f * row[j] : 1e-2f * row[j];
            if (kind == SCALES) row[j] = (float)((double)row[j] * scale);
            if (kind == TWINS && m % 2) row[j] = z[(m - 1) * d + j];
        }
    }
    return z;
}

static int same_choices(const locus_choice *a, const locus_choice *b, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++)
        if (a[i].model != b[i].model || memcmp(&a[i].logit, &b[i].logit, sizeof(float)) ||
            memcmp(&a[i].probability, &b[i].probability, sizeof(float)) ||
            memcmp(&a[i].cost, &b[i].cost, sizeof(double)) || memcmp(&a[i].utility, &b[i].utility, sizeof(double)) ||
            a[i].rule != b[i].rule)
            return 0;
    return 1;
}

static int has_screen(locus_isa isa) { return locusi_kernels_for(isa)->screen != NULL; }

// The bounds hold for every model; what is computed has locus_predict's bits. *exact <- how many were computed.
static void check_bounds(const locus_pool *pool, const float *q, const float *logits, const locus_route_opts *o,
                         size_t *exact)
{
    locusi_screen_job job;
    locusi_carver c = {NULL, 0, 0};
    const size_t dim = locus_net_get_info(pool->net).q_dim;
    size_t m, outside = 0, unlike = 0;
    void *block;
    locusi_screen_plan(&job, pool, o->parallel, &c);
    block = xmalloc(c.used + 64);
    c.base = locusi_align(block);
    c.used = 0;
    locusi_screen_plan(&job, pool, o->parallel, &c);
    job.o = o;
    locusi_rules_make(&job.rules, pool, pool->count, o, 0);
    locusi_rules_at(&job.rules, 0);
    job.top = o->top ? o->top : 1;
    *exact = pool->count;
    if (locusi_screen_prepare(&job, q, dim)) {
        pool->net->kernels->screen(&job.query, pool->coarse, pool->grain, pool->size, pool->slack,
                                   (pool->count + 31) / 32 * 2, job.logits);
        for (m = 0; m < pool->count && !pool->calibrated; m++) { // of plain logits
            const double width = 2.000001 * (job.base + (double)job.query.per_size * (double)pool->size[m] +
                                             (double)job.query.per_slack * (double)pool->slack[m]);
            outside += !(logits[m] <= job.logits[m] && (double)logits[m] >= (double)job.logits[m] - width);
        }
        CHECK_SIZE(0, outside);
        CHECK(locusi_screen_run(&job, q, dim));
        for (*exact = m = 0; m < pool->count; m++)
            if (job.logits[m] > LOCUSI_PASSED_OVER) {
                ++*exact;
                unlike += memcmp(&job.logits[m], &logits[m], sizeof(float)) != 0;
            }
        CHECK_SIZE(0, unlike);
    }
    free(block);
}

// locus_route against locus_rank on locus_predict's logits. Returns the share computed exactly, of one query.
static double compare(const locus_pool *pool, const locus_queries *q, const locus_route_opts *o)
{
    const size_t M = locus_pool_count(pool), top = o->top ? o->top : 1;
    const size_t bytes = locus_route_workspace(pool, q->count, o), before = g_mallocs;
    float *logits = floats(q->count * M);
    locus_choice *want = (locus_choice *)xmalloc(q->count * top * sizeof *want),
                 *got = (locus_choice *)xmalloc(q->count * top * sizeof *got);
    unsigned char *work = (unsigned char *)xmalloc(bytes + 5);
    locus_status status;
    size_t exact = M;
    memset(work, 0xA5, bytes + 5);
    memset(got, 0xA5, q->count * top * sizeof *got);
    if (CHECK_STATUS(LOCUS_OK, predict(pool, q, logits, NULL))) {
        status = locus_rank(pool, logits, q->count, o, want, &g_err);
        CHECK_STATUS(status, locus_route(pool, q, o, got, NULL, work + 5, bytes, &g_err));
        if (!status) CHECK(same_choices(want, got, q->count * top));
        if (!status && locusi_screened(pool, top)) check_bounds(pool, q->encodings, logits, o, &exact);
    }
    CHECK_SIZE(before, g_mallocs);
    free(logits);
    free(want);
    free(got);
    free(work);
    return (double)exact / (double)M;
}

static void random_opts(locus_route_opts *o, size_t M, unsigned char *available, double *cost)
{
    static const size_t tops[] = {0, 1, 2, 3, 10, 63, 64, 65};
    const int few = below(4) == 0;
    size_t m;
    ZERO(*o);
    o->top = tops[below(COUNT(tops))];
    o->parallel = parallel_of(below(THREAD_KINDS));
    for (m = 0; m < M; m++) available[m] = few ? below(M) < 3 : below(5) != 0;
    for (m = 0; m < 3 * M; m++) cost[m] = below(3) ? uniform() : below(4) ? 0.0 : NAN; // of models or of 3 queries
    if (below(2)) o->available = available;
    if (below(2)) o->cost = cost;
    if (below(3) == 0) o->query_cost = cost;
    o->unpriced = (locus_unpriced)below(3);
    if (below(3) == 0) o->max_cost = uniform();
    if (below(2)) o->lambda = pow(10.0, 8.0 * uniform() - 5.0);
    if (below(3) == 0) {
        o->guard = LOCUS_GUARD_GIVEN;
        o->default_model = below(M);
        if (below(2)) o->margin = 0.3 * uniform();
    }
}

// Any pairs that a file may hold, or ones that are hardly apart.
static void calibrate(locus_pool *pool, int wild)
{
    for (size_t m = 0; m < pool->count; m++) {
        pool->calibration[m].scale = (float)(wild ? exp(9.0 * uniform() - 4.5) : 1.0 + 1e-3 * uniform());
        pool->calibration[m].shift = (float)(wild ? 200.0 * uniform() - 100.0 : 1e-3 * uniform());
    }
    pool->calibrated = 1;
}

static void screened_routes_are_the_ranked_ones(void)
{
    static const size_t dims[][3] = {{5, 8, 5}, {16, 20, 16}, {40, 64, 33}, {12, 128, 64}, {3, 1, 1}};
    static const double loudness[] = {1.0, 1.0, 1e-3, 1e3, 0.0};
    int isa;
    for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
        size_t trial;
        if (!locus_isa_supported((locus_isa)isa)) continue;
        for (trial = 0; trial < trials(100); trial++) {
            const size_t *n = dims[trial % COUNT(dims)], M = 1 + below(trial % 10 ? 300 : 2500);
            const int kind = (int)(trial / COUNT(dims) % KINDS), loud = below(12) == 0;
            const size_t count = 1 + below(3);
            locus_net *net = net_of(n[0], n[1], n[2], (locus_isa)isa, loud, trial);
            float *z = embeddings(M, n[1], kind), *q;
            double *cost = (double *)xmalloc(3 * M * sizeof *cost);
            unsigned char *available = (unsigned char *)xmalloc(M);
            locus_pool *pool = pool_of(net, z, M);
            size_t i, m;
            for (m = 0; m < M; m++) { // the pool's own flags and costs
                locus_model model = *locus_pool_model(pool, m);
                model.available = below(10) != 0;
                model.cost = uniform();
                CHECK_STATUS(LOCUS_OK, locus_pool_set(pool, m, &model, NULL, &g_err));
            }
            CHECK(!pool->coarse == !(has_screen((locus_isa)isa) && M >= LOCUSI_SCREEN_FROM));
            q = normals(count * n[0], loudness[below(COUNT(loudness))], trial);
            for (i = 0; i < 10; i++) {
                const locus_queries queries = queries_of(q, count, n[0]);
                locus_route_opts o;
                random_opts(&o, M, available, cost);
                CHECK_STATUS(LOCUS_OK,
                             locus_pool_set_guard(pool, below(2) ? below(M) : SIZE_MAX, 0.3 * uniform(), &g_err));
                if (i == 5) calibrate(pool, trial % 3 == 0);
                context("%s trial %zu.%zu kind %d M %zu top %zu lambda %g loud %d", locus_isa_name((locus_isa)isa),
                        trial, i, kind, M, o.top, o.lambda, loud);
                if (loud && kind == HUGE_ONES) continue; // infinite logits have no order; see below
                compare(pool, &queries, &o);
            }
            free(z);
            free(q);
            free(cost);
            free(available);
            locus_pool_destroy(pool);
            locus_net_destroy(net);
        }
    }
}

// The bound's two parts where they are as tight as can be: one unit of the hidden layer, and all errors of rounding to
// 16 bits of one sign, of the embedding (weights all equal, hence exact) or of the weights (embedding all equal).
static void bounds_hold_where_they_are_tight(void)
{
    const size_t d = 128, M = 64;
    int isa, weights;
    for (isa = 1; isa < LOCUS_ISA_COUNT; isa++)
        for (weights = 0; weights < 2; weights++) {
            float *z = floats(M * d), q[4] = {0.5f, -0.5f, 0.25f, 1.0f}, *logits = floats(M);
            const locus_queries queries = queries_of(q, 1, 4);
            const double step = 1.0 / 4095.0;
            ref_net ref;
            raw_file *f;
            locus_net *net = NULL;
            locus_net_opts opts;
            locus_route_opts o;
            locus_pool *pool;
            size_t m, j, exact;
            if (!locus_isa_supported((locus_isa)isa) || !has_screen((locus_isa)isa)) {
                free(z);
                free(logits);
                continue;
            }
            ref_init(&ref, 4, d, 1, 1, 2, 1, 0, 3, 21);
            for (j = 0; j < 3 * d; j++)
                ref_find(&ref, "decoder.mlp_head.0.weight", "")->v[j] =
                    j >= d                  ? 0.0
                    : weights && j % d != 0 ? (double)(float)(step * ((double)(j % 7) + 0.499))
                                            : 1.0;
            ref_find(&ref, "decoder.mlp_head.0.bias", "")->v[0] = 0.0;
            ref_find(&ref, "decoder.mlp_head.3.weight", "")->v[0] = 1.0;
            ref_find(&ref, "decoder.mlp_head.3.bias", "")->v[0] = 0.0;
            f = raw_from_net(&ref);
            ZERO(opts);
            opts.isa = (locus_isa)isa;
            CHECK_STATUS(LOCUS_OK, raw_create(f, &opts, &net));
            for (m = 0; m < M; m++)
                for (j = 0; j < d; j++)
                    z[m * d + j] =
                        j == m || weights ? 1.0f : (float)(step * ((double)(j % 7) + (m % 2 ? 0.499 : 0.501)));
            pool = pool_of(net, z, M);
            CHECK_STATUS(LOCUS_OK, predict(pool, &queries, logits, NULL));
            ZERO(o);
            context("%s, %s", locus_isa_name((locus_isa)isa), weights ? "weights" : "embeddings");
            check_bounds(pool, q, logits, &o, &exact);
            free(z);
            free(logits);
            raw_free(f);
            ref_free(&ref);
            locus_pool_destroy(pool);
            locus_net_destroy(net);
        }
}

// Where logits overflow the screen steps back: the same answer, whatever it is.
static void screen_steps_back_before_overflow(void)
{
    locus_net *net = net_of(6, 16, 16, LOCUS_ISA_AUTO, 1, 3);
    float *z = embeddings(200, 16, HUGE_ONES), *q = normals(6, 1e5, 4);
    locus_pool *pool = pool_of(net, z, 200);
    locusi_screen_job job;
    locusi_carver c = {NULL, 0, 0};
    void *block;
    if (pool->coarse) {
        locusi_screen_plan(&job, pool, NULL, &c);
        block = xmalloc(c.used + 64);
        c.base = locusi_align(block);
        c.used = 0;
        locusi_screen_plan(&job, pool, NULL, &c);
        CHECK(!locusi_screen_prepare(&job, q, 6));
        free(block);
    }
    {
        const locus_queries queries = queries_of(q, 1, 6);
        locus_route_opts o;
        ZERO(o);
        o.top = 3;
        compare(pool, &queries, &o);
    }
    free(z);
    free(q);
    locus_pool_destroy(pool);
    locus_net_destroy(net);
}

static void screen_passes_most_models_over(void)
{
    locus_net *net = net_of(32, 128, 64, LOCUS_ISA_AUTO, 0, 5);
    float *z = embeddings(4000, 128, PLAIN), *q = normals(5 * 32, 1.0, 6);
    locus_pool *pool = pool_of(net, z, 4000);
    size_t i;
    for (i = 0; i < 5; i++) {
        const locus_queries queries = queries_of(q + 32 * i, 1, 32);
        locus_route_opts o;
        double share;
        ZERO(o);
        o.top = 10;
        o.lambda = i < 3 ? 0.0 : 1e-4;
        share = compare(pool, &queries, &o);
        CHECK(!pool->coarse || share < 0.05);
    }
    free(z);
    free(q);
    locus_pool_destroy(pool);
    locus_net_destroy(net);
}

static size_t linear_find(const locus_pool *pool, const char *name)
{
    size_t i;
    for (i = 0; i < locus_pool_count(pool); i++)
        if (!strcmp(locus_pool_model(pool, i)->name, name)) return i;
    return SIZE_MAX;
}

// All that follows from names and embeddings is as in a pool that is built of the models as they are now.
static void check_derived(const locus_pool *pool)
{
    const size_t d = pool->net->d, dp = pool->net->dp, M = locus_pool_count(pool);
    locus_pool *fresh = NULL;
    size_t m, i, used = 0, unlike = 0;
    if (!CHECK_STATUS(LOCUS_OK, locus_pool_create(&fresh, pool->net, pool->capacity, NULL, NULL, 0, &g_err))) return;
    for (m = 0; m < M; m++) {
        CHECK_STATUS(LOCUS_OK,
                     locus_pool_add(fresh, locus_pool_model(pool, m), locus_pool_embedding(pool, m), NULL, &g_err));
        unlike += memcmp(pool->z + m * dp, fresh->z + m * dp, d * sizeof(float)) != 0;
        unlike += memcmp(pool->hidden + m * pool->net->gp, fresh->hidden + m * pool->net->gp,
                         pool->net->gp * sizeof(float)) != 0;
        unlike += locus_pool_find(pool, locus_pool_model(pool, m)->name) != m;
        if (!pool->coarse) continue;
        unlike += memcmp(&pool->grain[m], &fresh->grain[m], sizeof(float)) != 0;
        unlike += memcmp(&pool->slack[m], &fresh->slack[m], sizeof(float)) != 0;
        unlike += memcmp(&pool->size[m], &fresh->size[m], sizeof(float)) != 0;
        unlike += pool->largest < pool->size[m];
        for (i = 0; i < dp; i++) {
            const size_t at = m / 16 * 16 * dp + i / 2 * 32 + m % 16 * 2 + i % 2;
            unlike += pool->coarse[at] != fresh->coarse[at];
        }
    }
    for (i = 0; i < pool->slot_count; i++) used += pool->slots[i] != 0;
    CHECK_SIZE(M, used);
    CHECK_SIZE(0, unlike);
    locus_pool_destroy(fresh);
}

// Random adding, renaming, re-embedding and removing, in a pool that grows and in one in the caller's memory.
static void names_are_found_as_by_looking_at_all(void)
{
    const size_t d = 20, steps = trials(3000);
    locus_net *net = net_of(7, d, 9, LOCUS_ISA_AUTO, 0, 11);
    float *z = embeddings(64, d, SCALES);
    int own;
    for (own = 0; own < 2; own++) {
        const size_t room = 150, bytes = locus_pool_memory(net, room);
        unsigned char *memory = own ? (unsigned char *)xmalloc(bytes) : NULL;
        locus_pool *pool = NULL;
        size_t step;
        if (own) memset(memory, 0xA5, bytes);
        CHECK_STATUS(LOCUS_OK, locus_pool_create(&pool, net, own ? room : 0, NULL, memory, own ? bytes : 0, &g_err));
        CHECK_SIZE(SIZE_MAX, locus_pool_find(pool, "a"));
        for (step = 0; step < steps; step++) {
            const size_t M = locus_pool_count(pool), at = M ? below(M) : 0, drift = step / 500 % 2;
            const float *row = z + below(64) * d;
            char name[64];
            locus_model model;
            size_t taken, what = below(10), index = 4711;
            locus_status status;
            snprintf(name, sizeof name, below(2) ? "model-%zu" : "a rather longer name of a model, %zu", below(200));
            model = model_named(name, 1.0f);
            taken = linear_find(pool, name);
            context("own %d step %zu", own, step);
            CHECK_SIZE(taken, locus_pool_find(pool, name));
            if (what < (drift ? 3u : 6u) || !M) {
                status = locus_pool_add(pool, &model, row, &index, &g_err);
                if (taken != SIZE_MAX) CHECK_GOT(LOCUS_ERR_NAME, status);
                else if (own && M == room) CHECK_GOT(LOCUS_ERR_MEMORY, status);
                else if (CHECK_GOT(LOCUS_OK, status)) CHECK_SIZE(M, index);
            } else if (what < 7) {
                const int which = (int)below(3);
                const locus_model *old = locus_pool_model(pool, at);
                if (below(8) == 0) model = *old; // its own name
                status = locus_pool_set(pool, at, which ? &model : NULL, which == 1 ? NULL : row, &g_err);
                if (which && taken != SIZE_MAX && taken != at && strcmp(model.name, old->name))
                    CHECK_GOT(LOCUS_ERR_NAME, status);
                else CHECK_GOT(LOCUS_OK, status);
            } else CHECK_STATUS(LOCUS_OK, locus_pool_remove(pool, at, &g_err));
            CHECK_SIZE(linear_find(pool, name), locus_pool_find(pool, name));
            if (step % 60 == 0) check_derived(pool);
            if (step % 60 == 30 && locus_pool_count(pool)) {
                float *q = normals(7, 1.0, step);
                const locus_queries queries = queries_of(q, 1, 7);
                locus_route_opts o;
                ZERO(o);
                o.top = 5;
                compare(pool, &queries, &o);
                free(q);
            }
        }
        while (locus_pool_count(pool))
            CHECK_STATUS(LOCUS_OK, locus_pool_remove(pool, below(locus_pool_count(pool)), &g_err));
        check_derived(pool);
        locus_pool_destroy(pool);
        free(memory);
    }
    free(z);
    locus_net_destroy(net);
}

static void loaded_pools_are_derived_too(void)
{
    const size_t M = 333, d = 24;
    locus_net *net = net_of(7, d, 9, LOCUS_ISA_AUTO, 0, 12);
    float *z = embeddings(M, d, PLAIN), *q = normals(7, 1.0, 13);
    const locus_queries queries = queries_of(q, 1, 7);
    locus_pool *pool = pool_of(net, z, M), *loaded = NULL;
    const char *path = temp_path("scale.safetensors");
    locus_safetensors st;
    locus_route_opts o;
    size_t bytes;
    void *memory;
    ZERO(o);
    o.top = 4;
    CHECK_STATUS(LOCUS_OK, locus_pool_save(pool, path, LOCUS_SAVE_POOL, NULL, &g_err));
    if (CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err))) {
        raw_file *f = raw_from_st(&st);
        raw_tensor *names = raw_find(f, "pool.names");
        size_t i;
        CHECK_STATUS(LOCUS_OK, locus_pool_load(&loaded, net, &st, NULL, 0, &g_err));
        check_derived(loaded);
        compare(loaded, &queries, &o);
        locus_pool_destroy(loaded);
        bytes = locus_pool_load_memory(net, &st);
        memory = xmalloc(bytes);
        memset(memory, 0xA5, bytes);
        CHECK_STATUS(LOCUS_OK, locus_pool_load(&loaded, net, &st, memory, bytes, &g_err));
        check_derived(loaded);
        compare(loaded, &queries, &o);
        free(memory);
        locus_safetensors_close(&st);
        // "m332" becomes "m331"
        for (i = names->bytes; i-- > 0 && names->data[i] != '2';) continue;
        names->data[i] = '1';
        {
            unsigned char *data = raw_bytes(f, &bytes);
            CHECK_STATUS(LOCUS_OK, locus_safetensors_parse(&st, data, bytes, NULL, &g_err));
            CHECK_STATUS(LOCUS_ERR_NAME, locus_pool_load(&loaded, net, &st, NULL, 0, &g_err));
            CHECK_MESSAGE("m331");
            CHECK(!loaded);
            locus_safetensors_close(&st);
            free(data);
        }
        raw_free(f);
    }
    remove(path);
    free(z);
    free(q);
    locus_pool_destroy(pool);
    locus_net_destroy(net);
}

// The shipped router has a memory, which the screen knows nothing of.
static void pools_with_a_memory_route_the_plain_way(void)
{
    const char *path = "examples/data/router.safetensors";
    locus_net *net = NULL;
    locus_pool *pool = NULL;
    float *q = normals(4 * 128, 0.1, 16);
    size_t round;
    if (!CHECK_STATUS(LOCUS_OK, locus_net_open(&net, path, NULL, &g_err)) ||
        !CHECK_STATUS(LOCUS_OK, locus_pool_open(&pool, net, path, &g_err)))
        return;
    CHECK(!pool->coarse == !net->kernels->screen);
    for (round = 0; round < 3; round++) { // with the memory, with a model less, without the memory
        const locus_queries queries = queries_of(q, 4, 128);
        locus_route_opts o;
        ZERO(o);
        o.top = 3;
        CHECK(locusi_screened(pool, 3) == (round == 2 && net->kernels->screen));
        compare(pool, &queries, &o);
        if (round == 0) CHECK_STATUS(LOCUS_OK, locus_pool_remove(pool, 3, &g_err));
        if (round == 1) locus_pool_drop_recall(pool);
    }
    free(q);
    locus_pool_destroy(pool);
    locus_net_destroy(net);
}

static void screened_routes_refuse_what_plain_ones_do(void)
{
    const size_t M = 100;
    locus_net *net = net_of(7, 16, 9, LOCUS_ISA_AUTO, 0, 14);
    float *z = embeddings(M, 16, PLAIN), *q = normals(3 * 7, 1.0, 15);
    unsigned char available[100] = {0};
    locus_queries queries = queries_of(q, 3, 7);
    locus_pool *pool = pool_of(net, z, M);
    locus_route_opts o;
    locus_choice out[3];
    size_t bytes;
    void *work;
    ZERO(o);
    bytes = locus_route_workspace(pool, 3, &o);
    work = xmalloc(bytes);
    CHECK_STATUS(LOCUS_ERR_MEMORY, locus_route(pool, &queries, &o, out, NULL, work, bytes - 1, &g_err));
    o.available = available;
    CHECK_STATUS(LOCUS_ERR_NO_CANDIDATE, locus_route(pool, &queries, &o, out, NULL, work, bytes, &g_err));
    available[77] = 1;
    CHECK_STATUS(LOCUS_OK, locus_route(pool, &queries, &o, out, NULL, work, bytes, &g_err));
    CHECK_SIZE(77, out[2].model);
    q[15] = f_nan();
    CHECK_STATUS(LOCUS_ERR_NONFINITE, locus_route(pool, &queries, &o, out, NULL, work, bytes, &g_err));
    CHECK_MESSAGE("encodings[2, 1]");
    queries.count = 0;
    CHECK_STATUS(LOCUS_OK, locus_route(pool, &queries, &o, out, NULL, work, bytes, &g_err));
    // sizes that do not fit
    CHECK_SIZE(0, locus_pool_memory(net, SIZE_MAX));
    CHECK_SIZE(0, locus_pool_memory(net, SIZE_MAX / 2));
    CHECK_SIZE(0, locus_pool_memory(net, SIZE_MAX / 256));
    free(work);
    free(z);
    free(q);
    locus_pool_destroy(pool);
    locus_net_destroy(net);
}

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
#define T(name)                                                                                                        \
    {                                                                                                                  \
#name, name                                                                                                    \
    }
    T(screened_routes_are_the_ranked_ones),     T(bounds_hold_where_they_are_tight),
    T(screen_steps_back_before_overflow),       T(screen_passes_most_models_over),
    T(names_are_found_as_by_looking_at_all),    T(loaded_pools_are_derived_too),
    T(pools_with_a_memory_route_the_plain_way), T(screened_routes_refuse_what_plain_ones_do),
#undef T
};

int main(int argc, char **argv)
{
    const char *quick = getenv("LOCUS_TEST_QUICK"), *seed = getenv("LOCUS_TEST_SEED");
    size_t i, passed = 0, failed = 0;
    g_quick = quick && quick[0] && quick[0] != '0';
    if (seed) g_seed = (uint64_t)strtoul(seed, NULL, 10);
    g_rng.state += g_seed;
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
        printf("%s %s (%.2f s)\n", g_failures ? "FAIL" : "ok  ", tests[i].name,
               (double)(clock() - start) / CLOCKS_PER_SEC);
        fflush(stdout);
        if (g_failures) failed++;
        else passed++;
    }
    printf("%zu checks\n%zu passed, %zu failed\n", g_checks, passed, failed);
    return failed || !passed ? 1 : 0;
}
