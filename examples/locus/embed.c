// SPDX-License-Identifier: MIT
// locus embed, encode, predict: evaluations become embeddings, texts encodings, both probabilities.

#include "locus_tool.h"

// How many evaluations each model has; none at all is an error that names the model.
static int count_evaluations(session *s, const grades *scores, const grades *mask, const size_t *rows,
                             locus_model *const *models)
{
    for (size_t m = 0; m < scores->models; ++m) {
        uint64_t count = 0;
        for (size_t i = 0; i < scores->n; ++i)
            count += (!mask || mask->u8[m * scores->n + i]) && !is_missing(scores, m, i);
        if (!count)
            return fail(s, "--scores %s: row %zu (%s) has no evaluation%s: a model needs at least one", s->opt.scores,
                        rows ? rows[m] : m, models[m]->name, s->opt.queries ? " among --queries" : "");
        models[m]->evaluations = count;
    }
    return DONE;
}

// The encodings behind --unlabelled, for the memory's space; without the flag, where --queries takes a part of the
// encodings, all of them.
static int load_unlabelled(session *s, const locus_array *all, locus_queries *out)
{
    const locus_array *a = s->opt.queries ? all : NULL;
    const char *path = s->opt.unlabelled;
    char meaning[80], found[240];
    if (!path && !a) return DONE;
    snprintf(meaning, sizeof meaning, "[any number, %zu]", s->info.q_dim);
    if (path && open_array(s, "--unlabelled", path, 2, meaning, &a)) return FAILED;
    if (a->shape[1] != s->info.q_dim || a->shape[0] == 0)
        return fail(s, "--unlabelled %s: expected %s, found %s", path, meaning, shape_text(a->shape, 2, found));
    float *rows = (float *)take(s, a->count, sizeof *rows);
    size_t kept = 0, dim = a->shape[1];
    if (!rows) return FAILED;
    if (locus_array_to_f32(a, 0, a->count, rows, &s->err))
        return fail_library(s, path ? "--unlabelled" : "--encodings", path ? path : s->opt.encodings);
    for (size_t i = 0; i < a->shape[0]; ++i) { // rows that nobody asked for may hold anything: those are passed over
        int good = 1;
        for (size_t c = 0; c < dim && !path; ++c)
            good &= is_finite(rows[i * dim + c]) && fabsf(rows[i * dim + c]) < 1e6f;
        if (good) memmove(rows + kept++ * dim, rows + i * dim, dim * sizeof *rows);
    }
    if (!kept) return DONE;
    out->encodings = rows;
    out->count = kept;
    out->dim = dim;
    return DONE;
}

static int save_embeddings(session *s, locus_model *const *models, size_t m, const float *z, const locus_evals *evals,
                           const locus_array *encodings)
{
    locus_learn_opts learn;
    locus_run run;
    const char *path = s->opt.out;
    size_t shape[2];
    shape[0] = m;
    shape[1] = s->info.z_dim;
    if (has_ending(path, ".npy")) {
        if (locus_npy_save(path, LOCUS_F32, shape, 2, z, &s->err)) return fail_library(s, "--out", path);
        return DONE;
    }
    if (locus_pool_create(&s->pool, s->net, m, s->opt.query_encoder, NULL, 0, &s->err))
        return fail_library(s, "--out", path);
    for (size_t i = 0; i < m; ++i)
        if (locus_pool_add(s->pool, models[i], z + i * s->info.z_dim, NULL, &s->err))
            return fail(s, "model %s: %s", models[i]->name, s->err.message);
    memset(&learn, 0, sizeof learn);
    memset(&run, 0, sizeof run);
    run.parallel = s->parallel;
    learn.no_recall = !(s->opt.memory > 0.0 || s->opt.memory < 0.0); // --memory 0: none
    learn.no_guard = s->opt.no_default;
    learn.recall_weight = s->opt.memory > 0.0 ? s->opt.memory : 0.0;
    if (!learn.no_recall && load_unlabelled(s, encodings, &learn.unlabelled)) return FAILED;
    if (!(learn.no_recall && learn.no_guard) && locus_pool_learn(s->pool, evals, &learn, &run, &s->err))
        return fail(s, "memory: %s", s->err.message);
    if (locus_pool_save(s->pool, path, (locus_save_what)s->opt.with_net, s->opt.with_net ? &s->net_file : NULL,
                        &s->err))
        return fail_library(s, "--out", path);
    return DONE;
}

static int run_embed(session *s)
{
    static const locus_encode_path paths[] = {LOCUS_ENCODE_AUTO, LOCUS_ENCODE_FAST, LOCUS_ENCODE_STREAMING};
    const options *o = &s->opt;
    const locus_array *q = NULL, *y = NULL, *mask_file = NULL;
    size_t *columns = NULL, *rows = NULL, n = 0, m = 0;
    locus_model *table = NULL, **models;
    grades scores, mask;
    locus_evals evals;
    locus_run run;
    char found[240];
    int status;
    memset(&evals, 0, sizeof evals);
    memset(&run, 0, sizeof run);
    if (!has_ending(o->out, ".npy") && !has_ending(o->out, ".safetensors"))
        return misuse(s, "--out: expected a name ending in .npy or .safetensors, found %s", o->out);
    if (has_ending(o->out, ".npy") && (o->with_net || o->query_encoder || o->memory > 0.0 || o->unlabelled))
        return misuse(s,
                      "--with-net, --query-encoder, --memory and --unlabelled need an --out that ends in .safetensors");
    if (open_net(s, "--net", o->net, 0)) return FAILED;
    if (!s->info.has_encoder)
        return fail(s, "--net %s: expected a net with an encoder, found a predictor only", o->net);
    if (paths[o->path] == LOCUS_ENCODE_STREAMING && s->info.encoder_kind == LOCUS_SAB)
        return fail(s, "--path streaming: expected auto or fast, this net's encoder is sab");
    if ((status = open_encodings(s, &q)) != DONE) return status;
    if (open_grades(s, "--scores", o->scores, &y)) return FAILED;
    if (y->shape[1] != q->shape[0])
        return fail(s, "--scores %s: expected [models, %zu] (the rows of --encodings), found %s", o->scores,
                    q->shape[0], shape_text(y->shape, 2, found));
    if (o->mask) {
        if (open_grades(s, "--mask", o->mask, &mask_file)) return FAILED;
        if (mask_file->shape[0] != y->shape[0] || mask_file->shape[1] != y->shape[1])
            return fail(s, "--mask %s: expected [%zu, %zu] (as --scores), found %s", o->mask, y->shape[0], y->shape[1],
                        shape_text(mask_file->shape, 2, found));
        if (mask_file->dtype != LOCUS_U8 && mask_file->dtype != LOCUS_BOOL)
            return fail(s, "--mask %s: expected u1 or b1, found %s", o->mask, dtype_name(mask_file->dtype));
    }
    if (load_places(s, "--queries", o->queries, y->shape[1], "the columns of --scores", &columns, &n) ||
        load_places(s, "--model-rows", o->model_rows, y->shape[0], "the rows of --scores", &rows, &m) ||
        load_models(s, y->shape[0], "the rows of --scores", &table) ||
        pick_grades(s, y, rows, m, columns, n, &scores) ||
        (o->mask && pick_grades(s, mask_file, rows, m, columns, n, &mask)))
        return FAILED;
    models = (locus_model **)take(s, m, sizeof *models);
    float *buffer = columns || q->dtype != LOCUS_F32 ? (float *)take(s, n, s->info.q_dim * sizeof *buffer) : NULL;
    if (!models || ((columns || q->dtype != LOCUS_F32) && !buffer)) return FAILED;
    for (size_t i = 0; i < m; ++i) models[i] = &table[rows ? rows[i] : i];
    if (count_evaluations(s, &scores, o->mask ? &mask : NULL, rows, models)) return FAILED;

    evals.queries.encodings = encoding_rows(s, q, columns, 0, n, buffer);
    if (!evals.queries.encodings) return fail_library(s, "--encodings", o->encodings);
    evals.queries.count = n;
    evals.queries.dim = s->info.q_dim;
    evals.scores.models = m;
    evals.scores.f32 = scores.f32;
    evals.scores.u8 = scores.u8;
    evals.scores.mask = o->mask ? mask.u8 : NULL;
    if (start_threads(s)) return FAILED;
    run.parallel = s->parallel;
    run.progress = progress;
    run.user = s;
    float *z = (float *)take(s, m, s->info.z_dim * sizeof *z);
    if (!z) return FAILED;
    progress_begin(s, "embed");
    locus_status failed = locus_encode(s->net, &evals, z, paths[o->path], &run, &s->err);
    progress_end(s);
    if (failed == LOCUS_ERR_MEMORY)
        return fail(s, "out of memory: %zu bytes of workspace; --path streaming needs less", s->err.bytes);
    if (failed)
        return fail(s, "%s, --scores %s: %s%s", queries_name(s), o->scores, s->err.message,
                    columns || rows ? " (counted among the queries and models in use)" : "");
    return save_embeddings(s, models, m, z, &evals, q);
}

static int run_predict(session *s)
{
    const locus_array *q = NULL;
    if (!has_ending(s->opt.out, ".npy"))
        return misuse(s, "--out: expected a name ending in .npy, found %s", s->opt.out);
    int status = open_net_and_pool(s, 1);
    if (status) return status;
    if ((status = open_encodings(s, &q)) != DONE) return status;
    if (start_threads(s)) return FAILED;
    size_t shape[2];
    shape[0] = q->shape[0];
    shape[1] = locus_pool_count(s->pool);
    if (shape[1] > SIZE_MAX / sizeof(float)) return fail(s, "out of memory");
    float *p = (float *)take(s, shape[0], shape[1] * sizeof *p);
    if (!p || predict_rows(s, q, NULL, 0, shape[0], p)) return FAILED;
    for (size_t i = 0; !s->opt.logits && i < shape[0] * shape[1]; ++i) p[i] = (float)locus_probability((double)p[i]);
    if (locus_npy_save(s->opt.out, LOCUS_F32, shape, 2, p, &s->err)) return fail_library(s, "--out", s->opt.out);
    return DONE;
}

static int run_encode(session *s)
{
    const locus_array *q = NULL;
    const locus_text *encoder;
    if (!has_ending(s->opt.out, ".npy"))
        return misuse(s, "--out: expected a name ending in .npy, found %s", s->opt.out);
    if (open_texts(s) || open_net(s, "--net", s->opt.net, 1)) return FAILED;
    if (!(encoder = net_text(s)) || encode_texts(s, encoder, &q)) return FAILED;
    if (locus_npy_save(s->opt.out, LOCUS_F32, q->shape, 2, q->data, &s->err))
        return fail_library(s, "--out", s->opt.out);
    return DONE;
}

static const flag embed_flags[] = {
    {"--net", "NET.safetensors", TEXT, AT(net), 1, "the net, with its encoder"},
    {"--encodings", "Q.npy", TEXT, AT(encodings), 0, "query encodings [n, q_dim]"},
    {"--text", "Q.jsonl", TEXT, AT(text_file), 0, "in their place the queries' words, for a net that reads text"},
    {"--scores", "Y.npy", TEXT, AT(scores), 1, "[models, n]: u1 with 255 = missing, or float with NaN = missing"},
    {"--mask", "MASK.npy", TEXT, AT(mask), 0, "u1 or b1 [models, n]: 0 where a model was not evaluated"},
    {"--queries", "IDX.npy", TEXT, AT(queries), 0, "the columns of --scores (rows of --encodings) to use"},
    {"--models", "MODELS.csv", TEXT, AT(models), 0, "one line for each row of --scores: see below"},
    {"--model-rows", "IDX.npy", TEXT, AT(model_rows), 0, "the rows of --scores to embed, in this order"},
    {"--out", "POOL.safetensors|Z.npy", TEXT, AT(out), 1, "a pool, or the bare embeddings as f4 [models, z_dim]"},
    {"--query-encoder", "NAME", TEXT, AT(query_encoder), 0, "sentence encoder to record in the pool"},
    {"--with-net", "predictor|all", CHOICE_1, AT(with_net), 0, "write a router file: pool and net in one"},
    {"--memory", "W", NUMBER, AT(memory), 0,
     "weight of the memory of the evaluated queries in the logits, 0 to 1 (default: what the training found, else 0.8; "
     "0: "
     "no memory)"},
    {"--unlabelled", "Q.npy", TEXT, AT(unlabelled), 0,
     "encodings, without scores, to learn the memory's space (default: all of --encodings)"},
    {"--no-default", "", SWITCH, AT(no_default), 0, "learn no guard: no default model to keep"},
    {"--path", "auto|fast|streaming", CHOICE, AT(path), 0, "how to encode; streaming needs little memory"},
    COMMON_FLAGS};

const command embed_command = {
    "embed", "Turn evaluations into model embeddings.", embed_flags, run_embed,
    "MODELS.csv has a header line; the columns name (required), params_b, cost and available (0, 1, true, false) are\n"
    "used. A missing score (255, NaN, mask 0) is as if the evaluation did not exist. The result does not depend on "
    "the\n"
    "order of the evaluations, the threads or the path.\n\n"
    "Example:\n  locus embed --net net.safetensors --encodings q.npy --scores y.npy --models models.csv --out "
    "pool.safetensors\n"};

static const flag encode_flags[] = {
    {"--net", "NET.safetensors", TEXT, AT(net), 1, "a net or router file that reads text"},
    {"--text", "Q.jsonl", TEXT, AT(text_file), 1, "the queries: a JSON object with \"text\" in each line"},
    {"--out", "Q.npy", TEXT, AT(out), 1, "where to write f4 [queries, q_dim]"},
    COMMON_FLAGS};

const command encode_command = {"encode", "Turn texts into query encodings with the net's own text encoder.",
                                encode_flags, run_encode,
                                "Example:\n  locus encode --net net.safetensors --text queries.jsonl --out q.npy\n"};

static const flag predict_flags[] = {
    {"--net", "NET.safetensors", TEXT, AT(net), 0, "the net"},
    {"--pool", "POOL.safetensors|Z.npy", TEXT, AT(pool), 0, "the models' embeddings"},
    {"--router", "ROUTER.safetensors", TEXT, AT(router), 0, "one file that holds both (in place of --net and --pool)"},
    {"--encodings", "Q.npy", TEXT, AT(encodings), 0, "query encodings [queries, q_dim]"},
    {"--text", "Q.jsonl", TEXT, AT(text_file), 0, "in their place the queries' words, for a net that reads text"},
    {"--out", "P.npy", TEXT, AT(out), 1, "where to write f4 [queries, models]"},
    {"--logits", "", SWITCH, AT(logits), 0, "write logits instead of probabilities"},
    COMMON_FLAGS};

const command predict_command = {
    "predict", "Predict how likely each model answers each query right.", predict_flags, run_predict,
    "Example:\n  locus predict --net net.safetensors --pool pool.safetensors --encodings q.npy --out p.npy\n"};
