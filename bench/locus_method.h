// SPDX-License-Identifier: MIT
// LOCUS as one more method of bench/baselines.h: included by bench/reproduce.c after locus.h and baselines.h. The rows
// LOCUS, "net alone" and "memory alone" share one training: nets are kept in build/nets under a hash of their data.
#ifndef LOCUS_METHOD_H
#define LOCUS_METHOD_H

typedef struct locus_state {
    locus_net *net;
    locus_pool *pool;
    locus_net_info info;
} locus_state;

static void locus_release(void *state)
{
    locus_state *s = (locus_state *)state;
    if (!s) return;
    locus_pool_destroy(s->pool);
    locus_net_destroy(s->net);
    free(s);
}

static void locus_key(const base_data *d, int paper, char path[96])
{
    uint64_t h = 1469598103934665603u ^ d->seed ^ (uint64_t)paper << 60;
    const unsigned char *bytes = (const unsigned char *)d->enc;
    for (size_t i = 0; i < d->rows * d->dim * sizeof(float); i += 7) h = (h ^ bytes[i]) * 1099511628211u;
    for (size_t i = 0; i < d->rows * d->models; i++) h = (h ^ d->scores[i]) * 1099511628211u;
    for (size_t i = 0; i < d->val_rows * d->models; i++) h = (h ^ d->val_scores[i]) * 1099511628211u;
    snprintf(path, 96, "build/nets/%016llx.safetensors", (unsigned long long)h);
}

// Train on the anchors; the weights kept are chosen on the validation rows.
static int locus_learn(const base_data *d, int paper, const char *path, locus_net **net)
{
    const size_t n = d->rows + d->val_rows + d->free_rows;
    float *enc = base_floats(n * d->dim);
    unsigned char *scores = (unsigned char *)base_alloc(n, d->models);
    size_t *list = (size_t *)base_alloc(n, sizeof *list);
    locus_train_data data;
    locus_train_opts opts;
    locus_trainer *t = NULL;
    locus_error err;
    memset(&data, 0, sizeof data);
    memset(&opts, 0, sizeof opts);
    memcpy(enc, d->enc, d->rows * d->dim * sizeof(float));
    if (d->val_rows) memcpy(enc + d->rows * d->dim, d->val_enc, d->val_rows * d->dim * sizeof(float));
    if (d->free_rows)
        memcpy(enc + (d->rows + d->val_rows) * d->dim, d->free_enc, d->free_rows * d->dim * sizeof(float));
    memset(scores, 255, n * d->models);
    for (size_t m = 0; m < d->models; m++) {
        memcpy(scores + m * n, d->scores + m * d->rows, d->rows);
        if (d->val_rows) memcpy(scores + m * n + d->rows, d->val_scores + m * d->val_rows, d->val_rows);
    }
    for (size_t i = 0; i < n; i++) list[i] = i;
    data.queries.encodings = enc;
    data.queries.count = n;
    data.queries.dim = d->dim;
    data.models = d->models;
    data.scores_u8 = scores;
    data.train = list;
    data.train_count = d->rows;
    data.validation = list + d->rows;
    data.validation_count = d->val_rows;
    data.unlabelled = list + d->rows + d->val_rows;
    data.unlabelled_count = d->free_rows;
    if (!d->free_rows) data.unlabelled = NULL;
    opts.seed = d->seed;
    if (paper) { // as published, but with the sounder rule of what to keep, and an end
        opts.recipe = LOCUS_RECIPE_PAPER;
        opts.keep = LOCUS_KEEP_BCE;
        opts.epochs = 300;
        opts.patience = 100;
        opts.evaluate_every = 5;
    }
    int failed = locus_train_create(&t, &data, &opts, &err) || locus_train_run(t, &err) ||
                 locus_train_save(t, path, &err) || locus_train_net(t, NULL, net, &err);
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
    const size_t bytes = locus_encode_workspace(net, evals, NULL);
    void *work = malloc(bytes);
    const int failed = !work || locus_encode(net, evals, z, NULL, work, bytes, &err) != LOCUS_OK;
    if (failed && work) fprintf(stderr, "LOCUS: %s\n", err.message);
    free(work);
    return failed;
}

static locus_evals locus_evals_of(const float *enc, size_t n, size_t dim, size_t models, const unsigned char *scores)
{
    locus_evals e;
    memset(&e, 0, sizeof e);
    e.queries.encodings = enc;
    e.queries.count = n;
    e.queries.dim = dim;
    e.models = models;
    e.scores_u8 = scores;
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

// weight: of the memory; negative: the default
static void *locus_fit_with(const base_data *d, int paper, double weight)
{
    char path[96];
    locus_error err;
    locus_state *s = (locus_state *)base_alloc(1, sizeof *s);
    locus_evals evals = locus_evals_of(d->enc, d->rows, d->dim, d->models, d->scores);
    locus_key(d, paper, path);
    int failed = locus_net_open(&s->net, path, NULL, &err) && locus_learn(d, paper, path, &s->net);
    float *z = NULL;
    if (!failed) {
        s->info = locus_net_get_info(s->net);
        z = base_floats(d->models * s->info.z_dim);
        failed = locus_embed(s->net, &evals, z) || locus_pool_create(&s->pool, s->net, 0, NULL, NULL, 0, &err);
    }
    for (size_t m = 0; m < d->models && !failed; m++) failed = locus_append(s, z + m * s->info.z_dim);
    if (!failed && !(weight <= 0.0 && weight >= 0.0)) {
        locus_memory_opts memory;
        memset(&memory, 0, sizeof memory);
        memory.weight = weight > 0.0 ? weight : 0.0;
        memory.unlabelled.encodings = d->free_enc;
        memory.unlabelled.count = d->free_rows;
        memory.unlabelled.dim = d->dim;
        if (locus_pool_memorize(s->pool, &evals, &memory, &err)) failed = fprintf(stderr, "LOCUS: %s\n", err.message);
    }
    free(z);
    if (!failed) return s;
    locus_release(s);
    return NULL;
}

static void *locus_fit(const base_data *d) { return locus_fit_with(d, 0, -1.0); }
static void *locus_fit_net(const base_data *d) { return locus_fit_with(d, 0, 0.0); }
static void *locus_fit_memory(const base_data *d) { return locus_fit_with(d, 0, 1.0); }
// The paper's recipe sees every anchor in every step: affordable here up to 256.
static void *locus_fit_paper(const base_data *d) { return d->rows <= 256 ? locus_fit_with(d, 1, 0.0) : NULL; }

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
    const size_t bytes = locus_predict_workspace(s->pool, n, NULL);
    void *work = malloc(bytes);
    if (!work || locus_predict(s->pool, &q, logits, NULL, work, bytes, &err)) exit(1);
    free(work);
}

// Embed one more model from its n evaluations (255 = missing) and append it; nothing else changes.
static int locus_add(void *state, const float *enc, const unsigned char *scores, size_t n, uint64_t seed)
{
    locus_state *s = (locus_state *)state;
    locus_evals evals = locus_evals_of(enc, n, s->info.q_dim, 1, scores);
    locus_error err;
    float *z = base_floats(s->info.z_dim);
    (void)seed;
    int failed = locus_embed(s->net, &evals, z) || locus_append(s, z);
    if (!failed && locus_pool_memory_info(s->pool).landmarks)
        failed = locus_pool_remember(s->pool, locus_pool_count(s->pool) - 1, &evals, &err) != LOCUS_OK;
    free(z);
    return failed;
}

static void locus_truncate(void *state, size_t models)
{
    locus_state *s = (locus_state *)state;
    while (locus_pool_count(s->pool) > models) locus_pool_remove(s->pool, locus_pool_count(s->pool) - 1, NULL);
}

static size_t locus_method_embedding(const void *state, size_t model, float *out)
{
    const locus_state *s = (const locus_state *)state;
    const float *z = locus_pool_embedding(s->pool, model);
    if (out && z) memcpy(out, z, s->info.z_dim * sizeof *out);
    return s->info.z_dim;
}

// The first is the one that the targets are measured on; the next two have its embeddings.
static const base_method locus_methods[] = {
    {"LOCUS", locus_fit, locus_method_predict, locus_add, locus_truncate, locus_method_embedding, locus_release},
    {"LOCUS net alone", locus_fit_net, locus_method_predict, locus_add, locus_truncate, NULL, locus_release},
    {"LOCUS memory alone", locus_fit_memory, locus_method_predict, locus_add, locus_truncate, NULL, locus_release},
    {"LOCUS paper recipe", locus_fit_paper, locus_method_predict, locus_add, locus_truncate, locus_method_embedding,
     locus_release},
};
enum { LOCUS_METHODS = (int)(sizeof locus_methods / sizeof *locus_methods) };

#endif
