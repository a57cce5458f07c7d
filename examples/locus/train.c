// SPDX-License-Identifier: MIT
// locus train: a net from evaluations alone.

#include "locus_tool.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

typedef struct course { // of a training: every epoch's figures
    session *s;
    locus_epoch *epochs;
    size_t count, capacity;
} course;

static int on_epoch(void *user, const locus_epoch *e)
{
    course *c = (course *)user;
    session *s = c->s;
    if (c->count < c->capacity) c->epochs[c->count++] = *e;
    double now = seconds(), elapsed = now - s->started;
#if HAVE_POSIX
    if (elapsed >= 1.0 && now - s->shown >= 0.2 && isatty(fileno(stderr))) {
        const locus_epoch *last = NULL;
        for (size_t i = 0; i < c->count; ++i)
            if (c->epochs[i].evaluated) last = &c->epochs[i];
        s->shown = now;
        fprintf(stderr, "\rtrain: epoch %zu of %zu, loss %.4f, ", e->epoch, e->epochs, e->loss);
        if (last)
            fprintf(stderr, "val hit@1 %.2f %% BCE %.4f (best: epoch %zu), ", 100.0 * last->metrics.hit1,
                    last->metrics.bce, e->best_epoch);
        fprintf(stderr, "%.0f s left   ", elapsed * (double)(e->epochs - e->epoch) / (double)c->count);
        fflush(stderr);
    }
#else
    (void)elapsed;
#endif
    return interrupted != 0;
}

static int save_course_csv(session *s, const course *c, const char *path)
{
    char temporary[4096];
    FILE *f = text_begin(s, path, temporary);
    if (!f) return FAILED;
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
    return text_end(s, f, temporary, path);
}

// One panel of the learning curve: values over epochs, from low to high.
static void svg_line(FILE *f, const course *c, const char *class_name, double top, double low, double high,
                     size_t epochs, double (*value)(const locus_epoch *))
{
    fprintf(f, "<polyline class='%s' points='", class_name);
    for (size_t i = 0; i < c->count; ++i) {
        double v = value(&c->epochs[i]);
        if (is_nan(v)) continue;
        fprintf(f, "%.1f,%.1f ", 60.0 + 560.0 * (double)c->epochs[i].epoch / (double)epochs,
                top + 150.0 * (high - v) / (high > low ? high - low : 1.0));
    }
    fprintf(f, "'/>\n");
}

static double value_loss(const locus_epoch *e) { return e->loss; }

static double value_bce(const locus_epoch *e) { return e->evaluated ? e->metrics.bce : NAN; }

static double value_hit1(const locus_epoch *e) { return e->evaluated ? 100.0 * e->metrics.hit1 : NAN; }

static double value_accuracy(const locus_epoch *e)
{
    return e->evaluated ? 100.0 * e->metrics.prediction_accuracy : NAN;
}

static int save_course_svg(session *s, const course *c, const char *path)
{
    static double (*const values[2][2])(const locus_epoch *) = {{value_loss, value_bce}, {value_hit1, value_accuracy}};
    static const char *const names[2][2] = {{"training loss", "validation cross-entropy"},
                                            {"validation routing hit@1, %", "validation prediction accuracy, %"}};
    char temporary[4096];
    FILE *f = text_begin(s, path, temporary);
    if (!f) return FAILED;
    size_t epochs = c->count ? c->epochs[c->count - 1].epoch : 1;
    fprintf(f,
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 640 440' font-family='sans-serif' font-size='12'>\n"
            "<style>svg{background:#fff;color:#222}polyline{fill:none;stroke-width:2}.a{stroke:#1f6fb2;fill:none}"
            ".b{stroke:#c8502d;fill:none}text{fill:currentColor}.ta{fill:#1f6fb2}.tb{fill:#c8502d}.g{stroke:#8886}"
            "@media(prefers-color-scheme:dark){svg{background:#16181c;color:#ddd}}</style>\n"
            "<title>Learning curve</title>\n");
    for (int panel = 0; panel < 2; ++panel) {
        double low = INFINITY, high = -INFINITY, top = 40.0 + 200.0 * panel;
        for (int k = 0; k < 2; ++k)
            for (size_t i = 0; i < c->count; ++i) {
                double v = values[panel][k](&c->epochs[i]);
                if (is_nan(v)) continue;
                if (v < low) low = v;
                if (v > high) high = v;
            }
        if (!(low <= high)) continue;
        fprintf(f, "<text class='ta' x='60' y='%.0f'>%s</text><text class='tb' x='330' y='%.0f'>%s</text>\n",
                top - 12.0, names[panel][0], top - 12.0, names[panel][1]);
        for (int k = 0; k <= 3; ++k)
            fprintf(f,
                    "<line class='g' x1='60' x2='620' y1='%.0f' y2='%.0f'/><text x='54' y='%.0f' text-anchor='end'>%.4g"
                    "</text>\n",
                    top + 50.0 * k, top + 50.0 * k, top + 50.0 * k + 4.0, high - (high - low) * k / 3.0);
        svg_line(f, c, "a", top, low, high, epochs, values[panel][0]);
        svg_line(f, c, "b", top, low, high, epochs, values[panel][1]);
    }
    fprintf(f, "<text x='60' y='430'>epoch 0</text><text x='620' y='430' text-anchor='end'>epoch %zu</text>\n</svg>\n",
            epochs);
    return text_end(s, f, temporary, path);
}

// path with `ending` in the place of .safetensors
const char *beside(session *s, const char *path, const char *ending)
{
    size_t n = strlen(path), cut = has_ending(path, ".safetensors") ? n - strlen(".safetensors") : n;
    char *out = (char *)take(s, cut + strlen(ending) + 1, 1);
    if (out) {
        memcpy(out, path, cut);
        strcpy(out + cut, ending);
    }
    return out;
}

// Which queries train and which validate; --anchors draws from the first.
static int split_queries(session *s, size_t n, size_t **train, size_t *trained, size_t **validation, size_t *validating,
                         size_t **unlabelled, size_t *unlabelled_count)
{
    const options *o = &s->opt;
    const locus_array *a = NULL;
    size_t *t = (size_t *)take(s, n, sizeof *t), *v = (size_t *)take(s, n, sizeof *v),
           *u = (size_t *)take(s, n, sizeof *u);
    uint64_t state = 0x5851f42d4c957f2du + o->seed;
    if (!t || !v || !u) return FAILED;
    if (o->split) {
        if (open_array(s, "--split", o->split, 1, "one whole number for each query", &a)) return FAILED;
        if (!is_integer(a) || a->count != n)
            return fail(s, "--split %s: expected %zu whole numbers, found %zu of %s", o->split, n, a->count,
                        dtype_name(a->dtype));
    }
    *trained = *validating = 0;
    for (size_t i = 0; i < n; ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        int64_t part = a ? integer_at(a, i) : (state >> 33) % 10 == 0;
        if (part == 0) t[(*trained)++] = i;
        if (part == 1) v[(*validating)++] = i;
    }
    if (*trained == 0) return fail(s, "--split %s: no query is for training (0)", o->split ? o->split : "");
    memcpy(u, t, *trained * sizeof *u);
    *unlabelled = u;
    *unlabelled_count = *trained;
    if (o->anchors > *trained)
        return fail(s, "--anchors %zu: there are only %zu training queries", o->anchors, *trained);
    for (size_t i = 0; i < o->anchors; ++i) { // a partial shuffle
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t at = i + (size_t)(state >> 33) % (*trained - i), swap = t[at];
        t[at] = t[i];
        t[i] = swap;
    }
    if (o->anchors) *trained = o->anchors;
    *train = t;
    *validation = v;
    return DONE;
}

static int save_anchors(session *s, const size_t *rows, size_t count)
{
    const char *path = beside(s, s->opt.out, ".anchors.npy");
    int64_t *list = (int64_t *)take(s, count, sizeof *list);
    if (!path || !list) return FAILED;
    for (size_t i = 0; i < count; ++i) list[i] = (int64_t)rows[i];
    if (locus_npy_save(path, LOCUS_I64, &count, 1, list, &s->err)) return fail_library(s, "--out", path);
    return DONE;
}

static int file_exists(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f) fclose(f);
    return f != NULL;
}

// Learn the text encoder's table from the training texts, then encode all.
static int learn_text(session *s, const size_t *rows, size_t count, const locus_array **out)
{
    const char **texts = (const char **)take(s, count, sizeof *texts);
    size_t *bytes = (size_t *)take(s, count, sizeof *bytes);
    locus_text_train_opts opts;
    locus_run run;
    memset(&opts, 0, sizeof opts);
    if (!texts || !bytes) return FAILED;
    for (size_t i = 0; i < count; ++i) {
        texts[i] = s->texts.texts[rows[i]];
        bytes[i] = s->texts.bytes[rows[i]];
    }
    memset(&run, 0, sizeof run);
    opts.seed = s->opt.seed;
    run.parallel = s->parallel;
    run.progress = progress;
    run.user = s;
    progress_begin(s, "text table");
    int failed = locus_text_train(&s->text_encoder, texts, bytes, count, &opts, &run, &s->err) != LOCUS_OK;
    progress_end(s);
    return failed ? fail_library(s, "--text", s->opt.text_file) : encode_texts(s, s->text_encoder, out);
}

double given(double value) { return value < 0.0 ? 0.0 : value > 0.0 ? value : -1.0; } // 0 itself: see locus_train_opts

static int run_train(session *s)
{
    const options *o = &s->opt;
    const locus_array *q = NULL, *y = NULL;
    size_t *rows = NULL, m = 0, n;
    grades g;
    locus_train_data data;
    locus_train_opts opts;
    locus_run run;
    course c;
    char found[240];
    size_t *train = NULL, *validation = NULL, *unlabelled = NULL;
    memset(&data, 0, sizeof data);
    memset(&opts, 0, sizeof opts);
    memset(&run, 0, sizeof run);
    memset(&c, 0, sizeof c);
    if (!has_ending(o->out, ".safetensors"))
        return misuse(s, "--out: expected a name ending in .safetensors, found %s", o->out);
    int misused = open_texts(s);
    if (misused) return misused;
    if ((o->encodings && open_array(s, "--encodings", o->encodings, 2, "[queries, q_dim]", &q)) ||
        open_grades(s, "--scores", o->scores, &y))
        return FAILED;
    n = q ? q->shape[0] : s->texts.count;
    if (y->shape[1] != n)
        return fail(s, "--scores %s: expected [models, %zu] (the rows of --encodings), found %s", o->scores, n,
                    shape_text(y->shape, 2, found));
    if (load_places(s, "--model-rows", o->model_rows, y->shape[0], "the rows of --scores", &rows, &m) ||
        pick_grades(s, y, rows, m, NULL, n, &g) ||
        split_queries(s, n, &train, &data.train_count, &validation, &data.validation_count, &unlabelled,
                      &data.unlabelled_count))
        return FAILED;
    if (start_threads(s)) return FAILED;
    if (!q && learn_text(s, unlabelled, data.unlabelled_count, &q)) return FAILED;
    float *buffer = q->dtype == LOCUS_F32 ? NULL : (float *)take(s, q->count, sizeof *buffer);
    if (q->dtype != LOCUS_F32 && !buffer) return FAILED;
    data.evals.queries.encodings = encoding_rows(s, q, NULL, 0, n, buffer);
    if (!data.evals.queries.encodings) return fail_library(s, "--encodings", o->encodings);
    data.text = s->text_encoder;
    data.evals.queries.count = n;
    data.evals.queries.dim = q->shape[1];
    data.evals.scores.models = m;
    data.evals.scores.f32 = g.f32;
    data.evals.scores.u8 = g.u8;
    data.train = train;
    data.validation = validation;
    data.unlabelled = unlabelled;
    data.query_encoder = o->query_encoder;
    opts.recipe = (locus_recipe)o->recipe;
    opts.keep = (locus_keep)o->keep;
    opts.seed = o->seed;
    opts.z_dim = o->z_dim, opts.n_heads = o->heads, opts.n_layers = o->layers, opts.m_induce = o->induce;
    opts.decoder_hidden = o->hidden;
    opts.epochs = o->epochs, opts.patience = o->patience;
    opts.subset_min = o->subset_min, opts.subset_max = o->subset_max, opts.targets = o->targets;
    opts.noise = given(o->noise), opts.dropout = given(o->dropout), opts.weight_decay = given(o->weight_decay);
    opts.encoder_rate = given(o->encoder_rate), opts.predictor_rate = given(o->predictor_rate);
    opts.on_epoch = on_epoch;
    run.parallel = s->parallel;
    run.isa = (locus_isa)o->isa;
    run.user = &c;
    if (locus_train_create(&s->trainer, &data, &opts, &run, &s->err)) return fail(s, "%s", s->err.message);
    if (o->anchors && save_anchors(s, train, data.train_count)) return FAILED;
    if (o->resume && file_exists(o->resume) && locus_train_load_state(s->trainer, o->resume, &s->err))
        return fail_library(s, "--resume", o->resume);
    c.s = s;
    c.capacity = locus_train_options(s->trainer).epochs;
    if (c.capacity > 1 << 20) c.capacity = 1 << 20; // of figures kept
    c.epochs = (locus_epoch *)take(s, c.capacity, sizeof *c.epochs);
    if (!c.epochs) return FAILED;
    signal(SIGINT, on_interrupt);
    progress_begin(s, "train");
    locus_status status = locus_train_run(s->trainer, &s->err);
    progress_end(s);
    signal(SIGINT, SIG_DFL);
    locus_error ended = s->err; // what follows may write another
    const locus_epoch *best = NULL;
    for (size_t i = 0; i < c.count; ++i)
        if (c.epochs[i].evaluated && c.epochs[i].epoch == c.epochs[c.count - 1].best_epoch) best = &c.epochs[i];
    if (locus_train_save(s->trainer, o->out, &s->err)) return fail_library(s, "--out", o->out);
    const char *csv = o->metrics ? o->metrics : beside(s, o->out, ".csv");
    const char *svg = o->curve ? o->curve : beside(s, o->out, ".svg");
    if (!csv || !svg || save_course_csv(s, &c, csv) || save_course_svg(s, &c, svg)) return FAILED;
    if (o->resume && locus_train_save_state(s->trainer, o->resume, &s->err))
        return fail_library(s, "--resume", o->resume);
    if (status && status != LOCUS_ERR_CANCELLED)
        return fail(s, "%s; %s holds the best weights before it", ended.message, o->out);
    if (o->json) {
        json("{'net':%s,'models':%u,'training_queries':%u,'validation_queries':%u,'epochs':%u,", o->out, m,
             data.train_count, data.validation_count, c.count ? c.epochs[c.count - 1].epoch : 0);
        json("'seconds':%d,'interrupted':%b,'best_epoch':%u,'validation':{", seconds() - s->started, status != LOCUS_OK,
             c.count ? c.epochs[c.count - 1].best_epoch : 0);
        if (best) print_metrics_json(&best->metrics);
        else json("}");
        json("}\n");
        return DONE;
    }
    printf("%s%zu models, %zu training queries, %zu epochs in %.1f s\n", status ? "interrupted: " : "", m,
           data.train_count, c.count, seconds() - s->started);
    if (best)
        printf("best epoch %zu, validation: hit@1 %.2f %% (best single model %.2f %%), prediction %.2f %%, BCE %.4f, "
               "Brier "
               "%.4f\n",
               best->epoch, 100.0 * best->metrics.hit1, 100.0 * best->metrics.best_single,
               100.0 * best->metrics.prediction_accuracy, best->metrics.bce, best->metrics.brier);
    printf("written: %s, %s, %s%s%s\n", o->out, csv, svg, o->resume ? ", " : "", o->resume ? o->resume : "");
    return DONE;
}

static const flag train_flags[] = {
    {"--encodings", "Q.npy", TEXT, AT(encodings), 0, "query encodings [n, q_dim]"},
    {"--text", "Q.jsonl", TEXT, AT(text_file), 0, "in their place the queries' words: learn a text encoder too"},
    {"--scores", "Y.npy", TEXT, AT(scores), 1, "[models, n]: u1 with 255 = missing, or float with NaN = missing"},
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
