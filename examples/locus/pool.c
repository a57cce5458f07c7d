// SPDX-License-Identifier: MIT
// Net and pool: open, predict, find a model by name, write back.

#include "locus_tool.h"

int make_net(session *s, const char *flag_name, const char *path)
{
    locus_run run;
    memset(&run, 0, sizeof run);
    run.isa = (locus_isa)s->opt.isa;
    if (locus_net_create(&s->net, &s->net_file, &run, &s->err)) return fail_library(s, flag_name, path);
    s->info = locus_net_get_info(s->net);
    return DONE;
}

int open_net(session *s, const char *flag_name, const char *path)
{
    if (locus_safetensors_open(&s->net_file, path, &s->err)) return fail_library(s, flag_name, path);
    s->net_file_open = 1;
    return make_net(s, flag_name, path);
}

// A pool of the rows of an array [models, z_dim].
static int pool_from_array(session *s, const char *path)
{
    char meaning[80], found[240];
    const locus_array *a = NULL;
    locus_model *models = NULL;
    snprintf(meaning, sizeof meaning, "[models, %zu]", s->info.z_dim);
    if (open_array(s, "--pool", path, 2, meaning, &a)) return FAILED;
    if (a->shape[1] != s->info.z_dim)
        return fail(s, "--pool %s: expected %s (the z_dim of the net), found %s", path, meaning,
                    shape_text(a->shape, 2, found));
    float *z = (float *)take(s, s->info.z_dim, sizeof *z);
    if (!z || load_models(s, a->shape[0], "the rows of --pool", &models)) return FAILED;
    if (locus_pool_create(&s->pool, s->net, a->shape[0], NULL, NULL, &s->err)) return fail_library(s, "--pool", path);
    for (size_t i = 0; i < a->shape[0]; ++i)
        if (locus_array_to_f32(a, i * s->info.z_dim, s->info.z_dim, z, &s->err) ||
            locus_pool_add(s->pool, &models[i], z, NULL, &s->err))
            return fail_library(s, "--pool", path);
    return DONE;
}

// --net and --pool; either may be left out if the other is a router file, and --router stands for both.
int open_net_and_pool(session *s)
{
    const options *o = &s->opt;
    const char *either = o->router ? o->router : o->net ? o->net : o->pool;
    const char *net = o->net ? o->net : either, *pool = o->pool ? o->pool : either;
    if (!either) return misuse(s, "--net and --pool are required (or --router with a file that holds both)");
    if (o->router && o->net && o->pool) return misuse(s, "--router stands for --net and --pool: leave it or them out");
    if (is_npy(pool) && !o->net && !o->router) return misuse(s, "--pool %s: an array needs a --net", pool);
    if (open_net(s, net == o->net ? "--net" : o->router ? "--router" : "--pool", net)) return FAILED;
    if (is_npy(pool)) return pool_from_array(s, pool);
    if (locus_pool_open(&s->pool, s->net, pool, NULL, &s->err))
        return fail_library(s, pool == o->pool ? "--pool" : o->router ? "--router" : "--net", pool);
    return DONE;
}

// logits[n, models] of the rows of the encodings (see encoding_rows), a batch at a time.
int predict_rows(session *s, const locus_array *a, const size_t *rows, size_t first, size_t n, float *logits)
{
    size_t batch = n < 1024 ? n : 1024, m = locus_pool_count(s->pool);
    float *buffer = (float *)take(s, batch, s->info.q_dim * sizeof *buffer);
    locus_run run;
    if (!buffer) return FAILED;
    memset(&run, 0, sizeof run);
    run.parallel = s->parallel;
    progress_begin(s, "predict");
    for (size_t i = 0; i < n; i += batch) {
        locus_queries q;
        memset(&q, 0, sizeof q);
        q.count = n - i < batch ? n - i : batch;
        q.dim = s->info.q_dim;
        q.encodings = encoding_rows(s, a, rows, first + i, q.count, buffer);
        if (!q.encodings || locus_predict(s->pool, &q, logits + i * m, &run, &s->err)) {
            progress_end(s);
            return fail(s, "%s: %s%s", queries_name(s), s->err.message,
                        rows || first + i ? " (counted within a batch of the queries in use)" : "");
        }
        progress(s, i + q.count, n);
    }
    progress_end(s);
    return DONE;
}

// "model X is not in the pool", with the nearest name.
int fail_name(const session *s, const char *flag_name, const char *name)
{
    const char *nearest = NULL;
    size_t distance = SIZE_MAX;
    for (size_t i = 0; i < locus_pool_count(s->pool); ++i)
        consider(name, locus_pool_model(s->pool, i)->name, &nearest, &distance);
    return fail(s, "%s: the pool has no model \"%s\"%s%s%s", flag_name, name, nearest ? " (did you mean " : "",
                nearest ? nearest : "", nearest ? "?)" : "; `locus info` lists its models");
}

int longest_name(const session *s)
{
    int longest = 5;
    for (size_t i = 0; i < locus_pool_count(s->pool); ++i) {
        int width = text_width(locus_pool_model(s->pool, i)->name);
        if (width > longest) longest = width;
    }
    return longest < 60 ? longest : 60;
}

// --available A,B,C -> a flag for each model of the pool.
int read_available(session *s, unsigned char *available)
{
    char name[sizeof(((locus_model *)0)->name)];
    for (const char *p = s->opt.available; p;) {
        const char *comma = strchr(p, ',');
        size_t length = comma ? (size_t)(comma - p) : strlen(p);
        if (length == 0 || length >= sizeof name)
            return misuse(s, "--available: expected names separated by commas, found \"%s\"", s->opt.available);
        memcpy(name, p, length);
        name[length] = '\0';
        size_t index = locus_pool_find(s->pool, name);
        if (index == SIZE_MAX) return fail_name(s, "--available", name);
        available[index] = 1;
        p = comma ? comma + 1 : NULL;
    }
    return DONE;
}

int name_of(session *s, const char *flag_name, const char *name, size_t *index)
{
    *index = locus_pool_find(s->pool, name);
    return *index == SIZE_MAX ? fail_name(s, flag_name, name) : DONE;
}

const char *model_name(const session *s, size_t i) { return locus_pool_model(s->pool, i)->name; }

// Index of a model by name, or a message with the nearest one.
int find_model(session *s, const char *what, const char *name, size_t *index)
{
    *index = locus_pool_find(s->pool, name);
    return *index == SIZE_MAX ? fail_name(s, what, name) : DONE;
}

const char *pool_path(const session *s)
{
    return s->opt.pool ? s->opt.pool : s->opt.router ? s->opt.router : s->opt.net;
}

// Write the pool to --out, or over its own file, with as much of a net as that file holds.
int save_pool(session *s)
{
    const char *from = pool_path(s), *to = s->opt.out ? s->opt.out : from;
    locus_save_what what = LOCUS_SAVE_POOL;
    if (!is_npy(from)) {
        locus_safetensors st;
        if (locus_safetensors_open(&st, from, &s->err)) return fail_library(s, "--pool", from);
        if (locus_safetensors_find(&st, "decoder.U.weight"))
            what = locus_safetensors_find(&st, "encoder.input.0.weight") && s->info.has_encoder ? LOCUS_SAVE_EVERYTHING
                                                                                                : LOCUS_SAVE_ROUTER;
        locus_safetensors_close(&st);
    }
    if (locus_pool_save(s->pool, to, what, what ? &s->net_file : NULL, &s->err))
        return fail_library(s, s->opt.out ? "--out" : "", to);
    return DONE;
}

// An --out that can be written, and a pool that can be written back.
int check_out(session *s)
{
    const char *from = pool_path(s);
    if (s->opt.out && !has_ending(s->opt.out, ".safetensors"))
        return misuse(s, "--out: expected a name ending in .safetensors, found %s", s->opt.out);
    if (!s->opt.out && from && is_npy(from))
        return misuse(s, "--pool %s: an array needs an --out POOL.safetensors", from);
    return DONE;
}
