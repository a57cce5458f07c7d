// SPDX-License-Identifier: MIT
// locus train: a net from evaluations alone.

#include "locus_tool.h"
#include "pictures.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

// ---------------------------------------------------------------------------------------------------------- its course

typedef struct course { // every epoch's figures
    locus_epoch *epochs;
    size_t count, capacity;
} course;

static int on_epoch(void *user, const locus_epoch *e)
{
    course *c = user;
    const locus_epoch *last = NULL;
    if (c->count < c->capacity) c->epochs[c->count++] = *e;
    if (!progress_due(0.2)) return interrupted != 0;
    for (size_t i = 0; i < c->count; ++i)
        if (c->epochs[i].evaluated) last = &c->epochs[i];
    fprintf(stderr, "\rtrain: epoch %zu of %zu, loss %.4f, ", e->epoch, e->epochs, e->loss);
    if (last)
        fprintf(stderr, "val hit@1 %.2f %% BCE %.4f (best: epoch %zu), ", 100.0 * last->metrics.hit1, last->metrics.bce,
                e->best_epoch);
    fprintf(stderr, "%.0f s left   ", (tool.shown - tool.started) * (double)(e->epochs - e->epoch) / (double)c->count);
    fflush(stderr);
    return interrupted != 0;
}

static void save_course_csv(const course *c, const char *path)
{
    FILE *f = file_begin(path);
    fprintf(f, "epoch,loss,gradient_norm,best,hit1,hit3,hit5,prediction_accuracy,bce,brier,auc,ece\n");
    for (size_t i = 0; i < c->count; ++i) {
        const locus_epoch *e = &c->epochs[i];
        const locus_metrics *x = &e->metrics;
        fprintf(f, "%zu,%.6g,%.6g,%d", e->epoch, e->loss, e->gradient_norm, e->best);
        if (e->evaluated)
            fprintf(f, ",%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g\n", x->hit1, x->hit3, x->hit5, x->prediction_accuracy,
                    x->bce, x->brier, x->auc, x->ece);
        else fprintf(f, ",,,,,,,,\n");
    }
    file_end();
}

static void save_course_svg(const course *c, const char *path)
{
    double *values = take(5 * c->count, sizeof *values), *of[5];
    for (size_t k = 0; k < 5; ++k) of[k] = values + k * c->count;
    for (size_t i = 0; i < c->count; ++i) {
        const locus_epoch *e = &c->epochs[i];
        of[0][i] = (double)e->epoch;
        of[1][i] = e->loss;
        of[2][i] = e->evaluated ? e->metrics.bce : NAN;
        of[3][i] = e->evaluated ? e->metrics.hit1 : NAN;
        of[4][i] = e->evaluated ? e->metrics.prediction_accuracy : NAN;
    }
    const course_picture picture = {
        .epoch = of[0],
        .n = c->count,
        .curves = {{{"training loss", of[1], 0, 0}, {"validation cross-entropy", of[2], 1, 0}},
                   {{"validation routing hit@1", of[3], 0, 0}, {"validation prediction accuracy", of[4], 1, 0}}}};
    draw_course(file_begin(path), &picture);
    file_end();
}

// ------------------------------------------------------------------------------------------------------------ its data

// path with `ending` in the place of .safetensors
static const char *beside(const char *path, const char *ending)
{
    return phrase("%.*s%s", (int)(strlen(path) - strlen(".safetensors")), path, ending);
}

static uint64_t draw(uint64_t *state) { return (*state = *state * 6364136223846793005u + 1442695040888963407u) >> 33; }

// Which queries train and which validate; --anchors draws from the first, all of which count as unlabelled.
static void split_queries(locus_train_data *data, size_t n)
{
    size_t *train = take(n, sizeof *train), *validation = take(n, sizeof *validation);
    uint64_t state = 0x5851f42d4c957f2du + opt.seed;
    const locus_array *a = opt.split ? open_integers("--split", opt.split, n) : NULL;
    for (size_t i = 0; i < n; ++i) {
        const int tenth = draw(&state) % 10 == 0;
        const int64_t part = a ? integer_at(a, i) : tenth;
        if (part == 0) train[data->train_count++] = i;
        if (part == 1) validation[data->validation_count++] = i;
    }
    const size_t all = data->train_count;
    if (all == 0) fail("--split %s: no query is for training (0)", opt.split ? opt.split : "");
    if (opt.anchors > all) fail("--anchors %zu: there are only %zu training queries", opt.anchors, all);
    size_t *unlabelled = take(all, sizeof *unlabelled);
    memcpy(unlabelled, train, all * sizeof *train);
    for (size_t i = 0; i < opt.anchors; ++i) { // a partial shuffle
        size_t at = i + (size_t)draw(&state) % (all - i), swap = train[at];
        train[at] = train[i];
        train[i] = swap;
    }
    if (opt.anchors) data->train_count = opt.anchors;
    data->train = train;
    data->validation = validation;
    data->unlabelled = unlabelled;
    data->unlabelled_count = all;
}

static void save_anchors(const locus_train_data *data)
{
    int64_t *list = take(data->train_count, sizeof *list);
    for (size_t i = 0; i < data->train_count; ++i) list[i] = (int64_t)data->train[i];
    const char *path = beside(opt.out, ".anchors.npy");
    must_file(locus_npy_save(path, LOCUS_I64, &data->train_count, 1, list, &tool.err), "--out", path);
}

// Learn the text encoder's table from the training texts, then encode all.
static locus_queries learn_text(const size_t *rows, size_t count)
{
    const locus_text_train_opts opts = {.seed = opt.seed};
    const char **texts = take(count, sizeof *texts);
    size_t *bytes = take(count, sizeof *bytes);
    for (size_t i = 0; i < count; ++i) {
        texts[i] = tool.texts.texts[rows[i]];
        bytes[i] = tool.texts.bytes[rows[i]];
    }
    progress_begin("text table");
    must_file(locus_text_train(&tool.text_encoder, texts, bytes, count, &opts, &tool.run, &tool.err), "--text",
              opt.text_file);
    progress_end();
    return encode_texts(tool.text_encoder);
}

static locus_train_data load_data(void)
{
    const locus_array *q = NULL;
    locus_train_data data = {.query_encoder = opt.query_encoder};
    open_texts();
    if (opt.encodings) q = open_array("--encodings", opt.encodings, 2, "[queries, q_dim]");
    const size_t n = q ? q->shape[0] : tool.texts.count;
    const locus_array *y = open_scores(n, "--encodings");
    size_t models;
    const size_t *rows = load_places("--model-rows", opt.model_rows, y->shape[0], "the rows of --scores", &models);
    data.evals.scores = pick_grades(y, rows, models, NULL, n);
    split_queries(&data, n);
    data.evals.queries =
        q ? float_queries("--encodings", opt.encodings, q) : learn_text(data.unlabelled, data.unlabelled_count);
    data.text = tool.text_encoder;
    return data;
}

// -------------------------------------------------------------------------------------------------------- the training

// 0 itself, where 0 stands for the default: see locus_train_opts.
static double given(double value) { return value < 0.0 ? 0.0 : value > 0.0 ? value : -1.0; }

static void create_trainer(const locus_train_data *data, course *c)
{
    locus_train_opts opts = {.recipe = (locus_recipe)opt.recipe, .keep = (locus_keep)opt.keep, .seed = opt.seed};
    opts.z_dim = opt.z_dim, opts.n_heads = opt.heads, opts.n_layers = opt.layers, opts.m_induce = opt.induce;
    opts.decoder_hidden = opt.hidden;
    opts.epochs = opt.epochs, opts.patience = opt.patience;
    opts.subset_min = opt.subset_min, opts.subset_max = opt.subset_max, opts.targets = opt.targets;
    opts.noise = given(opt.noise), opts.dropout = given(opt.dropout), opts.weight_decay = given(opt.weight_decay);
    opts.encoder_rate = given(opt.encoder_rate), opts.predictor_rate = given(opt.predictor_rate);
    opts.on_epoch = on_epoch;
    locus_run run = tool.quiet;
    run.user = c;
    must(locus_train_create(&tool.trainer, data, &opts, &run, &tool.err));
    c->capacity = locus_train_options(tool.trainer).epochs;
    if (c->capacity > 1 << 20) c->capacity = 1 << 20; // of figures kept
    c->epochs = take(c->capacity, sizeof *c->epochs);
}

static int file_exists(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f) fclose(f);
    return f != NULL;
}

static void report(const locus_train_data *data, const course *c, int cut)
{
    const double time = seconds() - tool.started;
    const locus_epoch *last = c->count ? &c->epochs[c->count - 1] : NULL, *best = NULL;
    for (size_t i = 0; i < c->count; ++i)
        if (c->epochs[i].evaluated && c->epochs[i].epoch == last->best_epoch) best = &c->epochs[i];
    if (opt.json) {
        json("{'net':%s,'models':%u,'training_queries':%u,'validation_queries':%u,'epochs':%u", opt.out,
             data->evals.scores.models, data->train_count, data->validation_count, last ? last->epoch : 0);
        json("'seconds':%d,'interrupted':%b,'best_epoch':%u,'validation':{", time, cut, last ? last->best_epoch : 0);
        if (best) json_metrics(&best->metrics);
        json("}}\n");
        return;
    }
    say("%s%z models, %z training queries, %z epochs in %.1f s\n", cut ? "interrupted: " : "",
        data->evals.scores.models, data->train_count, c->count, time);
    if (best)
        say("best epoch %z, validation: hit@1 %.2f %% (best single model %.2f %%), prediction %.2f %%, BCE %.4f, Brier "
            "%.4f\n",
            best->epoch, 100.0 * best->metrics.hit1, 100.0 * best->metrics.best_single,
            100.0 * best->metrics.prediction_accuracy, best->metrics.bce, best->metrics.brier);
}

static void run_train(void)
{
    course c = {0};
    if (!has_ending(opt.out, ".safetensors"))
        misuse("--out: expected a name ending in .safetensors, found %s", opt.out);
    const locus_train_data data = load_data();
    const char *csv_path = opt.metrics ? opt.metrics : beside(opt.out, ".csv");
    const char *svg_path = opt.curve ? opt.curve : beside(opt.out, ".svg");
    create_trainer(&data, &c);
    if (opt.anchors) save_anchors(&data);
    if (opt.resume && file_exists(opt.resume))
        must_file(locus_train_load_state(tool.trainer, opt.resume, &tool.err), "--resume", opt.resume);
    signal(SIGINT, on_interrupt);
    progress_begin("train");
    const locus_status status = locus_train_run(tool.trainer, &tool.err);
    const locus_error ended = tool.err; // what follows may write another
    progress_end();
    signal(SIGINT, SIG_DFL);
    must_file(locus_train_save(tool.trainer, opt.out, &tool.err), "--out", opt.out);
    save_course_csv(&c, csv_path);
    save_course_svg(&c, svg_path);
    if (opt.resume) must_file(locus_train_save_state(tool.trainer, opt.resume, &tool.err), "--resume", opt.resume);
    if (status && status != LOCUS_ERR_CANCELLED)
        fail("%s; %s holds the best weights before it", ended.message, opt.out);
    report(&data, &c, status != LOCUS_OK);
    if (!opt.json)
        say("written: %s, %s, %s%s%s\n", opt.out, csv_path, svg_path, opt.resume ? ", " : "",
            opt.resume ? opt.resume : "");
}

static const flag train_flags[] = {
    {"--encodings", "Q.npy", TEXT, AT(encodings), 0, "query encodings [n, q_dim]"},
    {"--text", "Q.jsonl", TEXT, AT(text_file), 0, "in their place the queries' words: learn a text encoder too"},
    {"--scores", "Y.npy", TEXT, AT(scores), 1, SCORES_HELP},
    {"--out", "NET.safetensors", TEXT, AT(out), 1, "the net; metrics and learning curve stand beside it"},
    {"--split", "S.npy", TEXT, AT(split), 0,
     "part of each query: 0 train, 1 val (default: every tenth, drawn, is val)"},
    {"--anchors", "N", COUNT, AT(anchors), 0,
     "learn from N training queries, drawn; they are saved as NET.anchors.npy"},
    {"--model-rows", "IDX.npy", TEXT, AT(model_rows), 0, "the rows of --scores to learn from"},
    {"--recipe", "best|paper", CHOICE, AT(recipe), 0, "ours (default), or the paper's"},
    {"--epochs", "E", COUNT, AT(epochs), 0, "steps over all models (default: best 300, paper 2500)"},
    {"--patience", "P", COUNT, AT(patience), 0,
     "stop after P epochs without a new best (default: best never, paper 500)"},
    {"--keep", "bce|hit1|last", CHOICE_1, AT(keep), 0, "which weights are the best (default: best bce, paper hit1)"},
    {"--seed", "S", COUNT, AT(seed), 0, "another seed, other weights"},
    {"--resume", "STATE", TEXT, AT(resume), 0,
     "go on from this file if it exists; the state is written there at the end"},
    {"--metrics", "FILE.csv", TEXT, AT(metrics), 0, "where the figures of each epoch go (default: NET.csv)"},
    {"--curve", "FILE.svg", TEXT, AT(curve), 0, "where the learning curve goes (default: NET.svg)"},
    {"--query-encoder", "NAME", TEXT, AT(query_encoder), 0, "sentence encoder to record in the net"},
    {"--z-dim", "D", COUNT, AT(z_dim), 0, "length of an embedding (default: 128)"},
    {"--heads", "H", COUNT, AT(heads), 0, "attention heads (default: 4)"},
    {"--layers", "L", COUNT, AT(layers), 0, "attention layers (default: best 1, paper 2)"},
    {"--induce", "R", COUNT, AT(induce), 0, "inducing vectors (default: best 16, paper 64)"},
    {"--hidden", "G", COUNT, AT(hidden), 0, "predictor's hidden width (default: 64)"},
    {"--subset-min", "N", COUNT, AT(subset_min), 0,
     "evaluations the encoder sees in a step, at least (default: best 16)"},
    {"--subset-max", "N", COUNT, AT(subset_max), 0, "and at most (default: best 1024)"},
    {"--targets", "N", COUNT, AT(targets), 0,
     "queries the predictor is asked about in a step (default: best 256 to 1024)"},
    {"--noise", "X", NUMBER, AT(noise), 0, "deviation of the noise on the encodings (default: best 0.05)"},
    {"--dropout", "X", NUMBER, AT(dropout), 0, "in the predictor (default: 0.1)"},
    {"--weight-decay", "X", NUMBER, AT(weight_decay), 0, "(default: 0.05)"},
    {"--encoder-rate", "X", NUMBER, AT(encoder_rate), 0, "learning rate (default: best 1e-3, paper 2e-4)"},
    {"--predictor-rate", "X", NUMBER, AT(predictor_rate), 0, "learning rate (default: best 2e-3, paper 8e-4)"},
    {"--json", "", SWITCH, AT(json), 0, "the result as JSON"},
    COMMON_FLAGS};

const command train_command = {
    "train", "Learn a net from evaluations alone.", train_flags, run_train,
    "Ctrl-C ends it early: the best weights so far are saved, whole, and with --resume the state to go on from. The\n"
    "result depends on data, flags and seed, not on the threads. Afterwards: locus embed, locus eval.\n\n"
    "Example:\n  locus train --encodings q.npy --scores y.npy --split split.npy --anchors 1024 --out "
    "net.safetensors\n"};
