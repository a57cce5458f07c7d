// SPDX-License-Identifier: MIT
// LOCUS as one more method of bench/experiments/baselines.h, and the only place where bench/experiments/reproduce.c
// calls the library to learn and to predict. Its rows (with the memory, calibrated, net alone, memory alone) come from
// one training. Nets are kept in build/nets under a hash of their data, for the next run and for
// bench/experiments/explore.c: delete them to train anew.
#ifndef LOCUS_METHOD_H
#define LOCUS_METHOD_H

#include <sys/stat.h>

typedef struct locus_state {
    locus_net *net;
    locus_pool *pool;
    locus_net_info info;
    double weight; // of the memory, as memorized
} locus_state;

static void locus_release(void *state)
{
    locus_state *s = (locus_state *)state;
    if (!s) return;
    locus_pool_destroy(s->pool);
    locus_net_destroy(s->net);
    free(s);
}

static uint64_t locus_hash(uint64_t h, const void *data, size_t bytes)
{
    const unsigned char *b = (const unsigned char *)data;
    for (size_t i = 0; i < bytes; i++) h = (h ^ b[i]) * 1099511628211u;
    return h;
}

static void locus_key(const base_data *d, char path[96])
{
    uint64_t h = locus_hash(1469598103934665603u ^ d->seed, d->train.enc, d->train.count * d->dim * sizeof(float));
    h = locus_hash(h, d->scores, d->models * d->train.count * sizeof(float));
    if (d->val.count) h = locus_hash(h, d->val_scores, d->models * d->val.count * sizeof(float));
    mkdir("build", 0777);
    mkdir("build/nets", 0777);
    snprintf(path, 96, "build/nets/%016llx.safetensors", (unsigned long long)h);
}

// Train on the evaluations; the weights kept are chosen on the validation rows.
static int locus_learn(const base_data *d, const char *path, locus_net **net)
{
    const base_queries *const parts[3] = {&d->train, &d->val, &d->all};
    const size_t n = d->train.count + d->val.count + d->all.count;
    float *enc = base_floats(n * d->dim), *scores = base_floats(n * d->models);
    size_t *list = (size_t *)base_alloc(n, sizeof *list), at = 0;
    locus_train_data data;
    locus_train_opts opts;
    locus_trainer *t = NULL;
    locus_error err;
    memset(&data, 0, sizeof data);
    memset(&opts, 0, sizeof opts);
    for (size_t i = 0; i < n * d->models; i++) scores[i] = NAN;
    for (size_t p = 0; p < 3; p++) {
        const float *y = p == 0 ? d->scores : d->val_scores;
        if (parts[p]->count) memcpy(enc + at * d->dim, parts[p]->enc, parts[p]->count * d->dim * sizeof *enc);
        for (size_t m = 0; m < d->models && p < 2 && parts[p]->count; m++)
            memcpy(scores + m * n + at, y + m * parts[p]->count, parts[p]->count * sizeof *scores);
        at += parts[p]->count;
    }
    for (size_t i = 0; i < n; i++) list[i] = i;
    data.evals.queries.encodings = enc;
    data.evals.queries.count = n;
    data.evals.queries.dim = d->dim;
    data.evals.scores.models = d->models;
    data.evals.scores.f32 = scores;
    data.train = list;
    data.train_count = d->train.count;
    data.validation = list + d->train.count;
    data.validation_count = d->val.count;
    data.unlabelled = d->all.count ? list + d->train.count + d->val.count : NULL;
    data.unlabelled_count = d->all.count;
    opts.seed = d->seed;
    int failed = locus_train_create(&t, &data, &opts, NULL, &err) || locus_train_run(t, &err) ||
                 locus_train_save(t, path, &err) || locus_train_net(net, t, NULL, &err);
    if (failed) fprintf(stderr, "LOCUS: %s\n", err.message);
    locus_train_destroy(t);
    free(enc);
    free(scores);
    free(list);
    return failed;
}

static int locus_embed(const locus_net *net, const locus_evals *evals, float *z)
{
    locus_error err;
    const int failed = locus_encode(net, evals, z, LOCUS_ENCODE_AUTO, NULL, &err) != LOCUS_OK;
    if (failed) fprintf(stderr, "LOCUS: %s\n", err.message);
    return failed;
}

static locus_evals locus_evals_floats(const base_queries *q, size_t dim, size_t models, const float *scores)
{
    locus_evals e;
    memset(&e, 0, sizeof e);
    e.queries.encodings = q->enc;
    e.queries.count = q->count;
    e.queries.dim = dim;
    e.scores.models = models;
    e.scores.f32 = scores;
    return e;
}

// The same from bytes, for bench/experiments/explore.c and bench/experiments/coverage.c.
BASE_FN locus_evals locus_evals_of(const float *enc, size_t n, size_t dim, size_t models, const unsigned char *scores)
{
    const base_queries q = {n, enc, NULL};
    locus_evals e = locus_evals_floats(&q, dim, models, NULL);
    e.scores.u8 = scores;
    return e;
}

static int locus_append(locus_state *s, const float *z)
{
    locus_model model;
    locus_error err;
    memset(&model, 0, sizeof model);
    snprintf(model.name, sizeof model.name, "model-%zu", locus_pool_count(s->pool));
    model.available = 1;
    if (locus_pool_add(s->pool, &model, z, NULL, &err)) return fprintf(stderr, "LOCUS: %s\n", err.message), 1;
    return 0;
}

static void *locus_fit(const base_data *d)
{
    char path[96];
    locus_error err;
    locus_state *s = (locus_state *)base_alloc(1, sizeof *s);
    const locus_evals evals = locus_evals_floats(&d->train, d->dim, d->models, d->scores);
    float *z = NULL;
    locus_key(d, path);
    int failed = locus_net_open(&s->net, path, NULL, &err) && locus_learn(d, path, &s->net);
    if (!failed) {
        s->info = locus_net_get_info(s->net);
        z = base_floats(d->models * s->info.z_dim);
        failed = locus_embed(s->net, &evals, z) || locus_pool_create(&s->pool, s->net, 0, NULL, NULL, &err);
    }
    for (size_t m = 0; m < d->models && !failed; m++) failed = locus_append(s, z + m * s->info.z_dim);
    if (!failed) {
        locus_learn_opts learn;
        memset(&learn, 0, sizeof learn);
        learn.unlabelled.encodings = d->all.enc;
        learn.unlabelled.count = d->all.count;
        learn.unlabelled.dim = d->dim;
        if (locus_pool_learn(s->pool, &evals, &learn, NULL, &err)) failed = fprintf(stderr, "LOCUS: %s\n", err.message);
        s->weight = locus_pool_get_info(s->pool).recall.weight;
    }
    free(z);
    if (!failed) return s;
    locus_release(s);
    return NULL;
}

// The first is the one that the targets are measured on.
static const char *const locus_variants[] = {"LOCUS", "LOCUS calibrated", "LOCUS net alone", "LOCUS memory alone"};

static int locus_use(void *state, const base_data *d, size_t variant)
{
    locus_state *s = (locus_state *)state;
    const size_t models = locus_pool_count(s->pool), n = d->val.count;
    locus_error err;
    int failed;
    failed = locus_pool_calibrate(s->pool, NULL, NULL, &err) != 0;
    if (!failed) // next to 0: as without, and it can come back
        failed = locus_pool_set_recall(s->pool, variant == 2 ? 1e-30 : variant == 3 ? 1.0 : s->weight, &err) != 0;
    if (!failed && variant == 1 && n) { // models added since have no validation scores
        float *scores = base_floats(models * n);
        const locus_evals held = locus_evals_floats(&d->val, d->dim, models, scores);
        for (size_t i = 0; i < models * n; i++) scores[i] = i < d->models * n ? d->val_scores[i] : NAN;
        failed = locus_pool_calibrate(s->pool, &held, NULL, &err) != 0;
        free(scores);
    }
    if (failed) fprintf(stderr, "LOCUS: %s\n", err.message);
    return failed;
}

// logits[n, models]
static void locus_method_predict(const void *state, const float *enc, size_t n, float *logits)
{
    const locus_state *s = (const locus_state *)state;
    locus_queries q;
    locus_error err;
    q.encodings = enc;
    q.count = n;
    q.dim = s->info.q_dim;
    q.stride = 0;
    if (locus_predict(s->pool, &q, logits, NULL, &err)) exit(1);
}

// Embed one more model from its evaluations and append it; nothing else changes.
static int locus_add(void *state, const base_queries *q, const float *scores)
{
    locus_state *s = (locus_state *)state;
    const locus_evals evals = locus_evals_floats(q, s->info.q_dim, 1, scores);
    locus_error err;
    float *z = base_floats(s->info.z_dim);
    int failed = locus_embed(s->net, &evals, z) || locus_append(s, z);
    if (!failed && locus_pool_get_info(s->pool).recall.landmarks)
        failed = locus_pool_recall_model(s->pool, locus_pool_count(s->pool) - 1, &evals, NULL, &err) != LOCUS_OK;
    free(z);
    return failed;
}

static void locus_predict_queries(const void *state, const base_queries *q, float *logits)
{
    locus_method_predict(state, q->enc, q->count, logits);
}

static void locus_truncate(void *state, size_t models)
{
    locus_state *s = (locus_state *)state;
    while (locus_pool_count(s->pool) > models) locus_pool_remove(s->pool, locus_pool_count(s->pool) - 1, NULL);
}

BASE_FN void locus_method_embedding(const void *state, size_t model, float *out)
{
    const locus_state *s = (const locus_state *)state;
    memcpy(out, locus_pool_embedding(s->pool, model), s->info.z_dim * sizeof *out);
}

// The pool's guard; the default model, SIZE_MAX for none.
static size_t locus_guarded(const void *state, double *margin)
{
    const locus_guard guard = locus_pool_get_info(((const locus_state *)state)->pool).guard;
    *margin = guard.margin;
    return guard.model;
}

BASE_FN const base_method *locus_method(void)
{
    static const base_method m = {
        "LOCUS",        locus_fit,     locus_predict_queries, locus_add,
        locus_truncate, locus_release, locus_variants,        sizeof locus_variants / sizeof *locus_variants,
        locus_use,      locus_guarded};
    return &m;
}

#endif
