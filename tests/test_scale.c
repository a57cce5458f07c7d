// SPDX-License-Identifier: MIT
// Tests of pools of very many models: names are found as a linear search finds them, and routing chooses exactly what
// sorting all models chooses.
//
//     cc -O2 tests/test_scale.c -o build/test_scale -lm -lpthread && build/test_scale [part of a test's name]
//
// Environment: as test_train.c.

#define TEST_FILE "test_scale.c"
#define TEST_INSIDE
#include "harness.h"

static double uniform(void) { return ref_uniform(&g_rng); }
static size_t below(size_t n) { return ref_range(&g_rng, 0, n - 1); }

// A net; loud: with weights so large that logits may overflow.
static locus_net *net_of(size_t D, size_t d, size_t hidden, locus_isa isa, int loud, uint64_t seed)
{
    ref_net ref;
    raw_file *f;
    locus_net *net = NULL;
    locus_run opts;
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

// Whether choices without a guard are the best `top` of all (a ranking of as many as there are models), in order.
static int sorted(const locus_choice *choices, size_t top, const locus_choice *all, size_t M)
{
    size_t i, k, better;
    for (i = 0; i < top; i++) {
        const locus_choice *c = &choices[i];
        for (better = k = 0; k < M && all[k].model != SIZE_MAX; k++)
            better += all[k].utility > c->utility ||
                      (all[k].utility == c->utility &&
                       (all[k].logit > c->logit || (all[k].logit == c->logit && all[k].model < c->model)));
        if (c->model == SIZE_MAX ? k > i : better != i) return 0;
    }
    return 1;
}

// locus_route against locus_rank on locus_predict's logits, and that against counting.
static void compare(const locus_pool *pool, const locus_queries *q, const locus_route_opts *o,
                    const locus_parallel *parallel)
{
    const size_t M = locus_pool_count(pool), top = o->top ? o->top : 1;
    float *logits = floats(q->count * M);
    locus_choice *want = (locus_choice *)xmalloc(q->count * top * sizeof *want),
                 *got = (locus_choice *)xmalloc(q->count * top * sizeof *got),
                 *all = (locus_choice *)xmalloc(q->count * M * sizeof *all);
    locus_run run;
    locus_status status;
    size_t i;
    ZERO(run);
    run.parallel = parallel;
    if (CHECK_STATUS(LOCUS_OK, predict(pool, q, logits, NULL))) {
        status = locus_rank(pool, logits, q->count, o, want, &g_err);
        CHECK_ROOM(&run, status, locus_route(pool, q, o, got, NULL, &run, &g_err));
        room_close(__LINE__, &run);
        if (!status) {
            locus_route_opts plain = *o;
            CHECK(same_choices(want, got, q->count * top));
            plain.guard = LOCUS_GUARD_NONE;
            CHECK_STATUS(LOCUS_OK, locus_rank(pool, logits, q->count, &plain, want, &g_err));
            plain.top = M;
            CHECK_STATUS(LOCUS_OK, locus_rank(pool, logits, q->count, &plain, all, &g_err));
            for (i = 0; i < q->count; i++) {
                CHECK(sorted(want + i * top, top, all + i * M, M));
                if (M < 300) CHECK(sorted(all + i * M, M, all + i * M, M));
            }
        }
    }
    free(logits), free(want), free(got), free(all);
}

static void random_opts(locus_route_opts *o, size_t M, unsigned char *available, double *cost)
{
    static const size_t tops[] = {0, 1, 2, 3, 10, 63, 64, 65};
    const int few = below(4) == 0;
    size_t m;
    ZERO(*o);
    o->top = tops[below(COUNT(tops))];
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

static void routes_are_the_ranked_ones(void)
{
    static const size_t dims[][3] = {{5, 8, 5}, {16, 20, 16}, {40, 64, 33}, {12, 128, 64}, {3, 1, 1}};
    static const double loudness[] = {1.0, 1.0, 1e-3, 1e3, 0.0};
    int isa;
    for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
        size_t trial;
        if (!locus_isa_supported((locus_isa)isa)) continue;
        for (trial = 0; trial < trials(50); trial++) {
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
                compare(pool, &queries, &o, parallel_of(below(THREAD_KINDS)));
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
    const size_t d = pool->net->d, M = locus_pool_count(pool);
    locus_pool *fresh = NULL;
    size_t m, i, used = 0, unlike = 0;
    if (!CHECK_STATUS(LOCUS_OK, locus_pool_create(&fresh, pool->net, pool->capacity, NULL, NULL, &g_err))) return;
    for (m = 0; m < M; m++) {
        CHECK_STATUS(LOCUS_OK,
                     locus_pool_add(fresh, locus_pool_model(pool, m), locus_pool_embedding(pool, m), NULL, &g_err));
        unlike += memcmp(pool->z + m * pool->net->dp, fresh->z + m * pool->net->dp, d * sizeof(float)) != 0;
        unlike += memcmp(pool->hidden + m * pool->net->gp, fresh->hidden + m * pool->net->gp,
                         pool->net->gp * sizeof(float)) != 0;
        unlike += locus_pool_find(pool, locus_pool_model(pool, m)->name) != m;
    }
    for (i = 0; i < pool->directory_size; i++) used += pool->directory[i] != 0;
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
        const size_t room = 150;
        locus_pool *pool = NULL;
        locus_run run;
        size_t step;
        ZERO(run);
        if (own) CHECK_ROOM(&run, LOCUS_OK, locus_pool_create(&pool, net, room, NULL, &run, &g_err));
        else CHECK_STATUS(LOCUS_OK, locus_pool_create(&pool, net, 0, NULL, NULL, &g_err));
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
                const int which = (int)below(4); // embedding, model, both, name
                const locus_model *old = locus_pool_model(pool, at);
                if (below(8) == 0) model = *old; // its own name
                status = which == 3 ? locus_pool_rename(pool, at, model.name, &g_err)
                                    : locus_pool_set(pool, at, which ? &model : NULL, which == 1 ? NULL : row, &g_err);
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
                compare(pool, &queries, &o, NULL);
                free(q);
            }
        }
        while (locus_pool_count(pool))
            CHECK_STATUS(LOCUS_OK, locus_pool_remove(pool, below(locus_pool_count(pool)), &g_err));
        check_derived(pool);
        locus_pool_destroy(pool);
        if (own) room_close(__LINE__, &run);
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
    locus_run run;
    size_t bytes;
    ZERO(o);
    o.top = 4;
    CHECK_STATUS(LOCUS_OK, locus_pool_save(pool, path, LOCUS_SAVE_POOL, NULL, &g_err));
    if (CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err))) {
        raw_file *f = raw_from_st(&st);
        raw_tensor *names = raw_find(f, "pool.names");
        size_t i;
        CHECK_STATUS(LOCUS_OK, locus_pool_load(&loaded, net, &st, NULL, &g_err));
        check_derived(loaded);
        compare(loaded, &queries, &o, NULL);
        locus_pool_destroy(loaded);
        ZERO(run);
        CHECK_ROOM(&run, LOCUS_OK, locus_pool_load(&loaded, net, &st, &run, &g_err));
        check_derived(loaded);
        compare(loaded, &queries, &o, NULL);
        room_close(__LINE__, &run);
        locus_safetensors_close(&st);
        // "m332" becomes "m331"
        for (i = names->bytes; i-- > 0 && names->data[i] != '2';) continue;
        names->data[i] = '1';
        {
            unsigned char *data = raw_bytes(f, &bytes);
            CHECK_STATUS(LOCUS_OK, locus_safetensors_parse(&st, data, bytes, NULL, &g_err));
            CHECK_STATUS(LOCUS_ERR_NAME, locus_pool_load(&loaded, net, &st, NULL, &g_err));
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

// The shipped router, which has a recall: as it is, with a model less, without the recall.
static void pools_with_a_recall_route_as_they_predict(void)
{
    const char *path = "examples/data/router.safetensors";
    locus_net *net = NULL;
    locus_pool *pool = NULL;
    float *q = normals(4 * 128, 0.1, 16);
    size_t round;
    if (!CHECK_STATUS(LOCUS_OK, locus_net_open(&net, path, NULL, &g_err)) ||
        !CHECK_STATUS(LOCUS_OK, locus_pool_open(&pool, net, path, NULL, &g_err)))
        return;
    for (round = 0; round < 3; round++) {
        const locus_queries queries = queries_of(q, 4, 128);
        locus_route_opts o;
        ZERO(o);
        o.top = 3;
        compare(pool, &queries, &o, NULL);
        if (round == 0) CHECK_STATUS(LOCUS_OK, locus_pool_remove(pool, 3, &g_err));
        if (round == 1) locus_pool_set_recall(pool, 0.0, NULL);
    }
    free(q);
    locus_pool_destroy(pool);
    locus_net_destroy(net);
}

static void setters_change_one_thing(void)
{
    locus_net *net = net_of(7, 16, 9, LOCUS_ISA_AUTO, 0, 14);
    float *z = embeddings(3, 16, PLAIN);
    locus_pool *pool = pool_of(net, z, 3);
    locus_model want = *locus_pool_model(pool, 1);
    char name[200];
    CHECK_STATUS(LOCUS_OK, locus_pool_set_available(pool, 1, 0, &g_err));
    want.available = 0;
    CHECK(!memcmp(&want, locus_pool_model(pool, 1), sizeof want));
    CHECK_STATUS(LOCUS_OK, locus_pool_set_available(pool, 1, -3, &g_err));
    CHECK_SIZE(1, (size_t)locus_pool_model(pool, 1)->available);
    want = *locus_pool_model(pool, 1);
    CHECK_STATUS(LOCUS_OK, locus_pool_set_cost(pool, 1, 2.5, &g_err));
    CHECK_STATUS(LOCUS_ERR_POOL, locus_pool_set_cost(pool, 1, -1.0, &g_err));
    CHECK_STATUS(LOCUS_ERR_POOL, locus_pool_set_cost(pool, 1, HUGE_VAL, &g_err));
    want.cost = 2.5;
    CHECK(!memcmp(&want, locus_pool_model(pool, 1), sizeof want));
    CHECK_STATUS(LOCUS_OK, locus_pool_set_cost(pool, 1, NAN, &g_err));
    CHECK(isnan(locus_pool_model(pool, 1)->cost));
    CHECK_STATUS(LOCUS_OK, locus_pool_rename(pool, 1, "other", &g_err));
    CHECK_SIZE(1, locus_pool_find(pool, "other"));
    CHECK_SIZE(SIZE_MAX, locus_pool_find(pool, "m1"));
    CHECK_STATUS(LOCUS_ERR_NAME, locus_pool_rename(pool, 1, "m2", &g_err));
    CHECK_STATUS(LOCUS_ERR_NAME, locus_pool_rename(pool, 1, "", &g_err));
    memset(name, 'x', sizeof name);
    name[192] = 0; // a byte too long
    CHECK_STATUS(LOCUS_ERR_NAME, locus_pool_rename(pool, 1, name, &g_err));
    name[191] = 0;
    CHECK_STATUS(LOCUS_OK, locus_pool_rename(pool, 1, name, &g_err));
    CHECK_SIZE(1, locus_pool_find(pool, name));
    CHECK_STATUS(LOCUS_OK, locus_pool_rename(pool, 1, locus_pool_model(pool, 1)->name, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_rename(pool, 1, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_rename(pool, 3, "y", &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_set_cost(pool, 3, 0.0, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_set_available(pool, 3, 0, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_set_available(NULL, 0, 0, &g_err));
    CHECK(!locus_pool_count(NULL) && !locus_pool_model(NULL, 0) && !locus_pool_embedding(NULL, 0));
    CHECK_SIZE(SIZE_MAX, locus_pool_find(NULL, "x"));
    CHECK_SIZE(SIZE_MAX, locus_pool_get_info(NULL).guard.model);
    free(z);
    locus_pool_destroy(pool);
    locus_net_destroy(net);
}

// A copy, in memory of its own, stays as it is while the other changes.
static void copies_are_snapshots(void)
{
    locus_net *net = net_of(7, 16, 9, LOCUS_ISA_AUTO, 0, 14);
    float *z = embeddings(40, 16, PLAIN), *q = normals(3 * 7, 1.0, 15), before[120], after[120];
    const locus_queries queries = queries_of(q, 3, 7);
    locus_pool *pool = pool_of(net, z, 40), *copy = NULL;
    locus_run run;
    ZERO(run);
    CHECK_STATUS(LOCUS_OK, locus_pool_set_guard(pool, 5, 0.25, &g_err));
    CHECK_STATUS(LOCUS_OK, predict(pool, &queries, before, NULL));
    CHECK_ROOM(&run, LOCUS_OK, locus_pool_copy(&copy, pool, &run, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_set(pool, 3, NULL, z, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_remove(pool, 0, &g_err));
    locus_pool_destroy(pool);
    check_derived(copy);
    CHECK_STATUS(LOCUS_OK, predict(copy, &queries, after, NULL));
    CHECK_SAME("logits", before, after, 120);
    CHECK_SIZE(5, locus_pool_get_info(copy).guard.model);
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_copy(NULL, copy, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_copy(&pool, NULL, NULL, &g_err));
    room_close(__LINE__, &run);
    free(z), free(q);
    locus_net_destroy(net);
}

static int stop_after(void *user, size_t done, size_t total)
{
    size_t *left = (size_t *)user;
    CHECK(done <= total);
    return (*left)-- == 0;
}

static void routes_refuse_what_is_wrong_and_can_be_stopped(void)
{
    const size_t M = 100, many = 20000;
    locus_net *net = net_of(7, 16, 9, LOCUS_ISA_AUTO, 0, 14);
    float *z = embeddings(M, 16, PLAIN), *q = normals(many * 7, 1.0, 15), *logits = floats(many * M);
    unsigned char available[100] = {0};
    locus_queries queries = queries_of(q, 3, 7);
    locus_pool *pool = pool_of(net, z, M);
    locus_route_opts o;
    locus_choice out[3], *choices = (locus_choice *)xmalloc(many * sizeof *choices);
    locus_run run;
    size_t left;
    ZERO(o);
    o.available = available;
    CHECK_STATUS(LOCUS_ERR_NO_CANDIDATE, locus_route(pool, &queries, &o, out, NULL, NULL, &g_err));
    available[77] = 1;
    CHECK_STATUS(LOCUS_OK, locus_route(pool, &queries, &o, out, NULL, NULL, &g_err));
    CHECK_SIZE(77, out[2].model);
    q[15] = f_nan();
    CHECK_STATUS(LOCUS_ERR_NONFINITE, locus_route(pool, &queries, &o, out, NULL, NULL, &g_err));
    CHECK_MESSAGE("encodings[2, 1]");
    q[15] = 0.5f;
    queries.count = 0;
    CHECK_STATUS(LOCUS_OK, locus_route(pool, &queries, &o, out, NULL, NULL, &g_err));
    queries.count = many;
    ZERO(run);
    run.progress = stop_after;
    run.user = &left;
    left = 3;
    CHECK_STATUS(LOCUS_ERR_CANCELLED, locus_predict(pool, &queries, logits, &run, &g_err));
    left = 3;
    CHECK_STATUS(LOCUS_ERR_CANCELLED, locus_route(pool, &queries, NULL, choices, NULL, &run, &g_err));
    left = SIZE_MAX;
    CHECK_STATUS(LOCUS_OK, locus_route(pool, &queries, NULL, choices, NULL, &run, &g_err));
    free(z), free(q), free(logits), free(choices);
    locus_pool_destroy(pool);
    locus_net_destroy(net);
}

static const test_case tests[] = {
    TEST(routes_are_the_ranked_ones),
    TEST(names_are_found_as_by_looking_at_all),
    TEST(loaded_pools_are_derived_too),
    TEST(pools_with_a_recall_route_as_they_predict),
    TEST(setters_change_one_thing),
    TEST(copies_are_snapshots),
    TEST(routes_refuse_what_is_wrong_and_can_be_stopped),
};

MAIN(tests)
