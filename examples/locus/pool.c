// SPDX-License-Identifier: MIT
// Net and pool: open, predict, find models by name, write back.

#include "locus_tool.h"

void make_net(const char *flag_name, const char *path)
{
    must_file(locus_net_create(&tool.net, &tool.net_file, &tool.run, &tool.err), flag_name, path);
    tool.info = locus_net_get_info(tool.net);
}

void open_file(const char *flag_name, const char *path)
{
    must_file(locus_safetensors_open(&tool.net_file, path, &tool.err), flag_name, path);
    tool.net_file_open = 1;
}

void open_net(const char *flag_name, const char *path)
{
    open_file(flag_name, path);
    make_net(flag_name, path);
}

void need_encoder(const char *what)
{
    if (!tool.info.has_encoder) fail("%sexpected a net with an encoder, found a predictor only", what);
}

// A pool of the rows of an array [models, z_dim].
static void pool_from_array(const char *path)
{
    const locus_array *a = open_table("--pool", path, "models", tool.info.z_dim, "z_dim");
    const locus_model *models = load_models(a->shape[0], "the rows of --pool");
    float *z = take(tool.info.z_dim, sizeof *z);
    must_file(locus_pool_create(&tool.pool, tool.net, a->shape[0], NULL, NULL, &tool.err), "--pool", path);
    for (size_t i = 0; i < a->shape[0]; ++i) {
        must_file(locus_array_to_f32(a, i * tool.info.z_dim, tool.info.z_dim, z, &tool.err), "--pool", path);
        must_file(locus_pool_add(tool.pool, &models[i], z, NULL, &tool.err), "--pool", path);
    }
}

void open_net_and_pool(void)
{
    const char *either = opt.router ? opt.router : opt.net ? opt.net : opt.pool;
    const char *net = opt.net ? opt.net : either, *pool = opt.pool ? opt.pool : either;
    if (!either) misuse("--net and --pool are required (or --router with a file that holds both)");
    if (opt.router && opt.net && opt.pool) misuse("--router stands for --net and --pool: leave it or them out");
    if (is_npy(pool) && !opt.net && !opt.router) misuse("--pool %s: an array needs a --net", pool);
    open_net(net == opt.net ? "--net" : opt.router ? "--router" : "--pool", net);
    if (is_npy(pool)) pool_from_array(pool);
    else
        must_file(locus_pool_open(&tool.pool, tool.net, pool, NULL, &tool.err),
                  pool == opt.pool ? "--pool"
                  : opt.router     ? "--router"
                                   : "--net",
                  pool);
}

float *predict_logits(const locus_queries *queries, int picked)
{
    const size_t n = queries->count, m = locus_pool_count(tool.pool), batch = n < 1024 ? n : 1024;
    if (m > SIZE_MAX / sizeof(float)) fail("out of memory");
    float *logits = take(n, m * sizeof *logits);
    progress_begin("predict");
    for (size_t i = 0; i < n; i += batch) {
        const locus_queries q = {.encodings = queries->encodings + i * queries->dim,
                                 .count = n - i < batch ? n - i : batch,
                                 .dim = queries->dim};
        if (locus_predict(tool.pool, &q, logits + i * m, &tool.quiet, &tool.err))
            fail("%s: %s%s", queries_name(), tool.err.message,
                 picked || i ? " (counted within a batch of the queries in use)" : "");
        progress(NULL, i + q.count, n);
    }
    progress_end();
    return logits;
}

// ---------------------------------------------------------------------------------------------------- models by name

const char *model_name(size_t i) { return locus_pool_model(tool.pool, i)->name; }

const char **all_names(void)
{
    const char **names = take(locus_pool_count(tool.pool), sizeof *names);
    for (size_t i = 0; i < locus_pool_count(tool.pool); ++i) names[i] = model_name(i);
    return names;
}

int longest_name(void)
{
    int longest = widest(all_names(), locus_pool_count(tool.pool), 5);
    return longest < 60 ? longest : 60;
}

void complain_of_name(const char *what, const char *name)
{
    guess meant = {.word = name};
    for (size_t i = 0; i < locus_pool_count(tool.pool); ++i) consider(&meant, model_name(i));
    complain("%s: the pool has no model \"%s\"%s", what, name,
             meant.nearest ? did_you_mean(&meant) : "; `locus info` lists its models");
}

size_t find_model(const char *what, const char *name)
{
    size_t index = locus_pool_find(tool.pool, name);
    if (index == SIZE_MAX) {
        complain_of_name(what, name);
        leave(FAILED);
    }
    return index;
}

const char *next_item(const char **list, const char *flag_name)
{
    size_t length = strcspn(*list, ",");
    if (length == 0) misuse("%s: expected names separated by commas, found \"%s\"", flag_name, *list);
    const char *item = phrase("%.*s", (int)length, *list);
    *list = (*list)[length] ? *list + length + 1 : NULL;
    return item;
}

unsigned char *read_available(void)
{
    unsigned char *available = take(locus_pool_count(tool.pool), 1);
    for (const char *list = opt.available; list;)
        available[find_model("--available", next_item(&list, "--available"))] = 1;
    return available;
}

// ----------------------------------------------------------------------------------------------------- writing it back

const char *pool_path(void) { return opt.pool ? opt.pool : opt.router ? opt.router : opt.net; }

const char *check_out(void)
{
    const char *from = pool_path();
    if (opt.out && !has_ending(opt.out, ".safetensors"))
        misuse("--out: expected a name ending in .safetensors, found %s", opt.out);
    if (!opt.out && from && is_npy(from)) misuse("--pool %s: an array needs an --out POOL.safetensors", from);
    return opt.out ? opt.out : from;
}

void save_pool(void)
{
    const char *from = pool_path(), *to = opt.out ? opt.out : from;
    locus_save_what what = LOCUS_SAVE_POOL;
    if (!is_npy(from)) {
        locus_safetensors st;
        must_file(locus_safetensors_open(&st, from, &tool.err), "--pool", from);
        if (locus_safetensors_find(&st, "decoder.U.weight"))
            what = locus_safetensors_find(&st, "encoder.input.0.weight") && tool.info.has_encoder
                       ? LOCUS_SAVE_EVERYTHING
                       : LOCUS_SAVE_ROUTER;
        locus_safetensors_close(&st);
    }
    must_file(locus_pool_save(tool.pool, to, what, what ? &tool.net_file : NULL, &tool.err), opt.out ? "--out" : "",
              to);
}
