// SPDX-License-Identifier: MIT
// locus embed, encode, predict: evaluations become embeddings, texts encodings, both together chances.

#include "locus_tool.h"

static void save_array(size_t rows, size_t columns, const float *values)
{
    const size_t shape[2] = {rows, columns};
    must_file(locus_npy_save(opt.out, LOCUS_F32, shape, 2, values, &tool.err), "--out", opt.out);
}

static void need_npy_out(void)
{
    if (!has_ending(opt.out, ".npy")) misuse("--out: expected a name ending in .npy, found %s", opt.out);
}

// --------------------------------------------------------------------------------------------------------------- embed

// What is embedded: the models' data, and their evaluations.
typedef struct embedding {
    locus_model **models;
    locus_queries all;     // of --encodings
    locus_evals evals;     // of those that --queries takes
    const size_t *rows;    // of --scores, NULL: all
    const size_t *columns; // of --scores, NULL: all
} embedding;

// How many evaluations each model has; none at all is an error that names the model.
static void count_evaluations(const embedding *e)
{
    const locus_scores *scores = &e->evals.scores;
    for (size_t m = 0; m < scores->models; ++m) {
        uint64_t count = 0;
        for (size_t i = 0; i < scores->count; ++i)
            count += (!scores->mask || scores->mask[m * scores->count + i]) && !is_missing(scores, m, i);
        if (!count)
            fail("--scores %s: row %zu (%s) has no evaluation%s: a model needs at least one", opt.scores,
                 e->rows ? e->rows[m] : m, e->models[m]->name, opt.queries ? " among --queries" : "");
        e->models[m]->evaluations = count;
    }
}

static const locus_array *open_mask(const locus_array *y)
{
    if (!opt.mask) return NULL;
    const locus_array *a = open_array("--mask", opt.mask, 2, "[models, queries]");
    if (a->shape[0] != y->shape[0] || a->shape[1] != y->shape[1])
        fail("--mask %s: expected [%zu, %zu] (as --scores), found %s", opt.mask, y->shape[0], y->shape[1],
             shape_text(a->shape, 2));
    if (a->dtype != LOCUS_U8 && a->dtype != LOCUS_BOOL)
        fail("--mask %s: expected u1 or b1, found %s", opt.mask, dtype_name(a->dtype));
    return a;
}

static embedding load_evaluations(void)
{
    embedding e = {.all = open_queries()};
    const locus_array *y = open_scores(e.all.count, "--encodings"), *mask = open_mask(y);
    size_t n, m;
    e.columns = load_places("--queries", opt.queries, y->shape[1], "the columns of --scores", &n);
    e.rows = load_places("--model-rows", opt.model_rows, y->shape[0], "the rows of --scores", &m);
    locus_model *table = load_models(y->shape[0], "the rows of --scores");
    e.evals.queries = e.columns ? pick_queries(&e.all, e.columns, n) : e.all;
    e.evals.scores = pick_grades(y, e.rows, m, e.columns, n);
    if (mask) e.evals.scores.mask = pick_grades(mask, e.rows, m, e.columns, n).u8;
    e.models = take(m, sizeof *e.models);
    for (size_t i = 0; i < m; ++i) e.models[i] = &table[e.rows ? e.rows[i] : i];
    count_evaluations(&e);
    return e;
}

// The encodings behind --unlabelled, for the memory's space; without the flag, where --queries takes a part of the
// encodings, all of them.
static locus_queries load_unlabelled(const locus_queries *all)
{
    const char *path = opt.unlabelled;
    const size_t dim = all->dim;
    if (path) {
        const locus_array *a = open_table("--unlabelled", path, "any number", dim, "q_dim");
        if (a->shape[0] == 0) fail("--unlabelled %s: expected some encodings, found none", path);
        return float_queries("--unlabelled", path, a);
    }
    if (!opt.queries) return (locus_queries){0};
    float *rows = take(all->count, dim * sizeof *rows);
    size_t kept = 0;
    for (size_t i = 0; i < all->count; ++i) { // rows that nobody asked for may hold anything: those are passed over
        const float *row = all->encodings + i * dim;
        int good = 1;
        for (size_t c = 0; c < dim; ++c) good &= is_finite((double)row[c]) && fabsf(row[c]) < 1e6f;
        if (good) memcpy(rows + kept++ * dim, row, dim * sizeof *rows);
    }
    return (locus_queries){.encodings = kept ? rows : NULL, .count = kept, .dim = dim};
}

static float *encode_models(const embedding *e, locus_encode_path path)
{
    float *z = take(e->evals.scores.models, tool.info.z_dim * sizeof *z);
    progress_begin("embed");
    const locus_status status = locus_encode(tool.net, &e->evals, z, path, &tool.run, &tool.err);
    if (status == LOCUS_ERR_MEMORY)
        fail("out of memory: %zu bytes of workspace; --path streaming needs less", tool.err.bytes);
    if (status)
        fail("%s, --scores %s: %s%s", queries_name(), opt.scores, tool.err.message,
             e->columns || e->rows ? " (counted among the queries and models in use)" : "");
    progress_end();
    return z;
}

static void save_embeddings(const embedding *e, const float *z)
{
    const size_t m = e->evals.scores.models;
    locus_learn_opts learn = {.recall_weight = fmax(opt.memory, 0.0), .no_guard = opt.no_default};
    learn.no_recall = !(opt.memory > 0.0 || opt.memory < 0.0); // --memory 0: none
    must_file(locus_pool_create(&tool.pool, tool.net, m, opt.query_encoder, NULL, &tool.err), "--out", opt.out);
    for (size_t i = 0; i < m; ++i)
        must_for(locus_pool_add(tool.pool, e->models[i], z + i * tool.info.z_dim, NULL, &tool.err),
                 phrase("model %s", e->models[i]->name));
    if (!learn.no_recall) learn.unlabelled = load_unlabelled(&e->all);
    if (!learn.no_recall || !learn.no_guard)
        must_for(locus_pool_learn(tool.pool, &e->evals, &learn, &tool.quiet, &tool.err), "memory");
    must_file(locus_pool_save(tool.pool, opt.out, (locus_save_what)opt.with_net, opt.with_net ? &tool.net_file : NULL,
                              &tool.err),
              "--out", opt.out);
}

static void run_embed(void)
{
    static const locus_encode_path paths[] = {LOCUS_ENCODE_AUTO, LOCUS_ENCODE_FAST, LOCUS_ENCODE_STREAMING};
    const int bare = has_ending(opt.out, ".npy");
    if (!bare && !has_ending(opt.out, ".safetensors"))
        misuse("--out: expected a name ending in .npy or .safetensors, found %s", opt.out);
    if (bare && (opt.with_net || opt.query_encoder || opt.memory > 0.0 || opt.unlabelled))
        misuse("--with-net, --query-encoder, --memory and --unlabelled need an --out that ends in .safetensors");
    open_net("--net", opt.net);
    need_encoder(phrase("--net %s: ", opt.net));
    if (paths[opt.path] == LOCUS_ENCODE_STREAMING && tool.info.encoder_kind == LOCUS_SAB)
        fail("--path streaming: expected auto or fast, this net's encoder is sab");
    const embedding e = load_evaluations();
    const float *z = encode_models(&e, paths[opt.path]);
    if (bare) save_array(e.evals.scores.models, tool.info.z_dim, z);
    else save_embeddings(&e, z);
}

static const flag embed_flags[] = {
    {"--net", "NET.safetensors", TEXT, AT(net), 1, "the net, with its encoder"},
    QUERY_FLAGS("query encodings [n, q_dim]"),
    {"--scores", "Y.npy", TEXT, AT(scores), 1, SCORES_HELP},
    {"--mask", "MASK.npy", TEXT, AT(mask), 0, "u1 or b1 [models, n]: 0 where a model was not evaluated"},
    {"--queries", "IDX.npy", TEXT, AT(queries), 0, "the columns of --scores (rows of --encodings) to use"},
    {"--models", "MODELS.csv", TEXT, AT(models), 0, "one line for each row of --scores: see below"},
    {"--model-rows", "IDX.npy", TEXT, AT(model_rows), 0, "the rows of --scores to embed, in this order"},
    {"--out", "POOL.safetensors|Z.npy", TEXT, AT(out), 1, "a pool, or the bare embeddings as f4 [models, z_dim]"},
    {"--query-encoder", "NAME", TEXT, AT(query_encoder), 0, "sentence encoder to record in the pool"},
    {"--with-net", "predictor|all", CHOICE_1, AT(with_net), 0, "write a router file: pool and net in one"},
    {"--memory", "W", NUMBER, AT(memory), 0,
     "weight of the memory of the evaluated queries in the logits, 0 to 1 (default: what the training found, else 0.8; "
     "0: no memory)"},
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

// ----------------------------------------------------------------------------------------------------- encode, predict

static void run_encode(void)
{
    need_npy_out();
    open_texts();
    open_net("--net", opt.net);
    const locus_queries q = encode_texts(net_text());
    save_array(q.count, q.dim, q.encodings);
}

static const flag encode_flags[] = {
    {"--net", "NET.safetensors", TEXT, AT(net), 1, "a net or router file that reads text"},
    {"--text", "Q.jsonl", TEXT, AT(text_file), 1, "the queries: a JSON object with \"text\" in each line"},
    {"--out", "Q.npy", TEXT, AT(out), 1, "where to write f4 [queries, q_dim]"},
    COMMON_FLAGS};

const command encode_command = {"encode", "Turn texts into query encodings with the net's own text encoder.",
                                encode_flags, run_encode,
                                "Example:\n  locus encode --net net.safetensors --text queries.jsonl --out q.npy\n"};

static void run_predict(void)
{
    need_npy_out();
    open_net_and_pool();
    const locus_queries q = open_queries();
    const size_t m = locus_pool_count(tool.pool);
    float *p = predict_logits(&q, 0);
    for (size_t i = 0; !opt.logits && i < q.count * m; ++i) p[i] = (float)locus_probability((double)p[i]);
    save_array(q.count, m, p);
}

static const flag predict_flags[] = {NET_AND_POOL_FLAGS,
                                     QUERY_FLAGS("query encodings [queries, q_dim]"),
                                     {"--out", "P.npy", TEXT, AT(out), 1, "where to write f4 [queries, models]"},
                                     {"--logits", "", SWITCH, AT(logits), 0, "write logits instead of probabilities"},
                                     COMMON_FLAGS};

const command predict_command = {
    "predict", "Predict how likely each model answers each query right.", predict_flags, run_predict,
    "Example:\n  locus predict --net net.safetensors --pool pool.safetensors --encodings q.npy --out p.npy\n"};
