// SPDX-License-Identifier: MIT
// locus update, calibrate: what further evaluations change in a pool, which is written back.

#include "pictures.h"

// -------------------------------------------------------------------------------------------------------------- update

typedef struct refreshed {  // what an update does
    size_t index, answered; // answered: with --complete, how many of the evaluations are real,
    locus_evals completed;  // and all of them as chances, for the memory
    locus_model before, after;
    double moved; // cosine distance
} refreshed;

static refreshed find_refreshed(void)
{
    refreshed r = {.index = locus_pool_find(tool.pool, opt.file)};
    if (r.index == SIZE_MAX && !opt.add) {
        complain_of_name("NAME", opt.file);
        fail("--add adds a new model");
    }
    if (r.index != SIZE_MAX && opt.add) fail("--add: the pool has a model \"%s\" already", opt.file);
    if (r.index != SIZE_MAX) r.before = r.after = *locus_pool_model(tool.pool, r.index);
    else {
        if (strlen(opt.file) >= sizeof r.after.name)
            fail("expected a name of at most %zu bytes", sizeof r.after.name - 1);
        strcpy(r.after.name, opt.file);
        r.after.parameters_b = NAN;
        r.after.cost = opt.cost >= 0.0 ? opt.cost : (double)NAN;
        r.after.available = 1;
    }
    return r;
}

static void need_evaluations(size_t count)
{
    if (!count) fail("--scores %s: there is no evaluation in it", opt.scores);
}

// --complete: what was not asked, as far as it can be told.
static void complete_scores(refreshed *r, const locus_queries *queries, float *scores)
{
    const locus_next_opts complete = {.chances = take(queries->count, sizeof(float)),
                                      .answers = take(queries->count, 1)};
    for (size_t i = 0; i < queries->count; ++i) r->answered += (size_t)!is_nan(scores[i]);
    need_evaluations(r->answered);
    r->completed = one_model(queries, scores);
    must_for(locus_next_evaluations(tool.pool, &r->completed, &complete, NULL, NULL, &tool.quiet, &tool.err),
             "--complete");
    for (size_t i = 0; i < queries->count; ++i) scores[i] = (float)complete.answers[i];
    r->completed.scores.f32 = complete.chances;
}

static void log_answers(const locus_queries *queries, const float *scores)
{
    for (size_t i = 0; i < queries->count; ++i) {
        if (is_nan(scores[i])) continue;
        if (locus_log_add(tool.log, 0, queries->encodings + i * queries->dim, scores[i], &tool.err))
            fail("evaluation %zu: %s", i, tool.err.message);
    }
}

// Embed the model from the log and put it into the pool.
static void refresh_model(refreshed *r)
{
    float *z = take(tool.info.z_dim, sizeof *z);
    if (opt.window) must_for(locus_log_forget(tool.log, 0, opt.window, &tool.err), "--window");
    locus_evals evals = locus_log_evals(tool.log, 0);
    r->after.evaluations = 0;
    for (size_t i = 0; i < evals.queries.count; ++i) r->after.evaluations += !is_nan(evals.scores.f32[i]);
    need_evaluations(r->after.evaluations > 0);
    must(locus_encode(tool.net, &evals, z, LOCUS_ENCODE_AUTO, &tool.quiet, &tool.err));
    if (r->answered) {
        evals = r->completed;
        r->after.evaluations = r->answered;
    }
    r->moved = NAN;
    if (r->index == SIZE_MAX) must_for(locus_pool_add(tool.pool, &r->after, z, &r->index, &tool.err), r->after.name);
    else {
        r->moved = fmax(0.0, cosine_distance(z, locus_pool_embedding(tool.pool, r->index), tool.info.z_dim));
        must_for(locus_pool_set(tool.pool, r->index, &r->after, z, &tool.err), r->after.name);
    }
    if (locus_pool_get_info(tool.pool).recall.landmarks)
        must_for(locus_pool_recall_model(tool.pool, r->index, &evals, &tool.quiet, &tool.err), r->after.name);
    save_pool();
}

static void run_update(void)
{
    const char *to = check_out();
    if (opt.complete && (opt.more_encodings || opt.window))
        misuse("--complete excludes --more-encodings, --more-scores and --window");
    if (!opt.more_encodings != !opt.more_scores) misuse("--more-encodings and --more-scores go together");
    if (!opt.add && opt.cost >= 0.0) misuse("--cost needs --add");
    open_net_and_pool();
    if (!tool.info.has_encoder) fail("expected a net with an encoder, found a predictor only: give a --net");
    refreshed r = find_refreshed();
    const locus_queries queries = open_queries();
    locus_queries more = {0};
    float *scores = load_row("--scores", opt.scores, queries.count, r.index), *more_scores = NULL;
    if (opt.complete) complete_scores(&r, &queries, scores);
    if (opt.more_encodings) {
        more = load_queries("--more-encodings", opt.more_encodings);
        more_scores = load_row("--more-scores", opt.more_scores, more.count, SIZE_MAX);
    }
    need_evaluations(queries.count + more.count);
    must(locus_log_create(&tool.log, tool.net, queries.count + more.count, 1, NULL, &tool.err));
    log_answers(&queries, scores);
    log_answers(&more, more_scores);
    refresh_model(&r);
    const size_t before = (size_t)r.before.evaluations, after = (size_t)r.after.evaluations;
    if (opt.json) {
        json("{'model':%s,'index':%u,'added':%b,'evaluations_before':%u,'evaluations':%u,'moved':%d,'written':%s}\n",
             opt.file, r.index, opt.add, before, after, r.moved, to);
        return;
    }
    if (opt.add) say("%t: added, embedded from %z evaluations\n", opt.file, after);
    else
        say("%t: embedded from %z evaluations (before: %z); it moved by a cosine distance of %.4f\n", opt.file, after,
            before, r.moved);
    say("written: %s\n", to);
}

static const flag update_flags[] = {
    {"NAME", "", POSITION, AT(file), 1, "a model of the pool"},
    POOL_FLAGS,
    QUERY_FLAGS("all queries that it answered so far [n, q_dim]"),
    SCORE_FLAGS(1),
    {"--more-encodings", "Q.npy", TEXT, AT(more_encodings), 0,
     "queries answered since; a query again replaces its answer"},
    {"--more-scores", "Y.npy", TEXT, AT(more_scores), 0, "the answers to them, [n]"},
    {"--complete", "", SWITCH, AT(complete), 0,
     "the answers were chosen by `locus next`: fill in the others as it reckons them"},
    {"--window", "N", COUNT, AT(window), 0, "forget all but the last N answers"},
    {"--add", "", SWITCH, AT(add), 0, "it is a new model"},
    {"--cost", "C", NUMBER, AT(cost), 0, "with --add: what a query costs (default: unknown)"},
    {"--out", "POOL.safetensors", TEXT, AT(out), 0, "write there (default: over the pool's own file)"},
    JSON_FLAG,
    COMMON_FLAGS};

const command update_command = {
    "update", "Put further evaluations of a model into a pool.", update_flags, run_update,
    "The model is embedded from all of its evaluations, and its part of the pool's memory is learned anew. The file\n"
    "appears whole or stays as it was.\n\n"
    "Example:\n  locus update Yi-34B --router router.safetensors --encodings q.npy --scores y.npy --more-encodings "
    "q2.npy "
    "--more-scores y2.npy\n"};

// ----------------------------------------------------------------------------------------------------------- calibrate

enum { BINS = 15, MOST_LISTED_MODELS = 40 };

typedef struct quality { // of predictions, on the measured queries
    locus_bin bins[BINS];
    double ece, bce;
} quality;

typedef struct calibration { // the sample, and which part each query is of
    sample x;
    unsigned char *part; // [n] 0 and 1: --split's val and test, 2 neither; without --split every other one
    size_t *columns, measured;
} calibration;

static quality measure(const calibration *c, const float *logits)
{
    const sample *x = &c->x;
    const locus_scores scores = {.models = x->models, .count = x->n, .u8 = x->scores};
    quality q = {.ece = NAN};
    double sum = 0.0;
    size_t count = 0;
    must_for(locus_reliability(logits, c->measured, &scores, c->columns, SIZE_MAX, q.bins, BINS, &q.ece, &tool.err),
             phrase("--scores %s", opt.scores));
    for (size_t i = 0; i < c->measured; ++i)
        for (size_t m = 0; m < x->models; ++m) {
            const unsigned char y = x->scores[m * x->n + c->columns[i]];
            const double l = (double)logits[i * x->models + m];
            if (y == 255) continue;
            sum += (l > 0.0 ? l : 0.0) - l * y + log1p(exp(-fabs(l)));
            ++count;
        }
    q.bce = count ? sum / (double)count : NAN;
    return q;
}

// Learn from the queries of that part (-1: from all).
static void calibrate_on(const calibration *c, int wanted)
{
    const sample *x = &c->x;
    unsigned char *mask = wanted < 0 ? NULL : take(x->models, x->n);
    for (size_t i = 0; mask && i < x->models * x->n; ++i) mask[i] = c->part[i % x->n] == wanted;
    const locus_evals evals = {.queries = x->queries, .scores = {.models = x->models, .u8 = x->scores, .mask = mask}};
    must_for(locus_pool_calibrate(tool.pool, &evals, &tool.quiet, &tool.err), phrase("--scores %s", opt.scores));
}

static void split_sample(calibration *c)
{
    const size_t n = c->x.n;
    const locus_array *a = opt.split ? open_integers("--split", opt.split, n) : NULL;
    size_t count[3] = {0};
    c->part = take(n, 1);
    c->columns = take(n, sizeof *c->columns);
    for (size_t i = 0; i < n; ++i) {
        const int64_t v = a ? integer_at(a, i) - 1 : (int64_t)(i % 2);
        c->part[i] = v == 0 || v == 1 ? (unsigned char)v : 2;
        ++count[c->part[i]];
        // what is measured: test, or without --split each half by what the other taught
        if (c->part[i] == 1 || (!a && c->part[i] == 0)) c->columns[c->measured++] = i;
    }
    if (!count[0] || !count[1])
        fail("%s%s: expected queries of both val (1) and test (2)", a ? "--split " : "--encodings", a ? opt.split : "");
}

// to[measured, models] <- the logits of the measured queries that are not of `part` (-1: all of them).
static void predict_measured(const calibration *c, int part, float *to)
{
    const size_t m = c->x.models;
    const float *now = predict_logits(&c->x.queries, 0);
    for (size_t i = 0; i < c->measured; ++i)
        if (c->part[c->columns[i]] != part) memcpy(to + i * m, now + c->columns[i] * m, m * sizeof *to);
}

static void show_scale(const char *name, locus_calibration c, int width)
{
    if (opt.json) json("{'model':%s,'scale':%f,'shift':%f}", name, (double)c.scale, (double)c.shift);
    else say("%-*t  %8.3f  %8.3f\n", width, name, (double)c.scale, (double)c.shift);
}

static void json_calibration(const calibration *c, const quality of[2], const char *to, const char *how)
{
    const locus_calibration all = locus_pool_calibration(tool.pool, SIZE_MAX);
    json("{'written':%s,'queries':%u,'measured':%s,'ece_before':%d,'ece_after':%d", to, c->measured, how, of[0].ece,
         of[1].ece);
    json("'bce_before':%d,'bce_after':%d,'scale':%f,'shift':%f,'models':[", of[0].bce, of[1].bce, (double)all.scale,
         (double)all.shift);
    for (size_t m = 0; m < c->x.models; ++m) show_scale(model_name(m), locus_pool_calibration(tool.pool, m), 0);
    for (int k = 0; k < 2; ++k) {
        json(k ? "],'after':[" : "],'before':[");
        for (const locus_bin *b = of[k].bins; b < of[k].bins + BINS; ++b)
            json("{'predicted':%d,'observed':%d,'pairs':%u}", b->predicted, b->observed, b->pairs);
    }
    json("]}\n");
}

static void print_calibration(const calibration *c, const quality of[2], const char *to, const char *how)
{
    const int width = longest_name();
    const size_t models = c->x.models, shown = opt.all || models < MOST_LISTED_MODELS ? models : MOST_LISTED_MODELS;
    say("%z queries; %s\n\n%-12s  %8s  %8s\n", c->measured, how, "", "before", "after");
    say("%-12s  %6.2f %%  %6.2f %%\n", "ECE", 100.0 * of[0].ece, 100.0 * of[1].ece);
    say("%-12s  %8.4f  %8.4f\n\n%-12s  %-28s  %-28s\n", "BCE", of[0].bce, of[1].bce, "", "before", "after");
    say("%-12s  %9s %9s %8s  %9s %9s %8s\n", "chance", "predicted", "observed", "answers", "predicted", "observed",
        "answers");
    for (int b = 0; b < BINS; ++b) {
        const locus_bin *x = &of[0].bins[b], *y = &of[1].bins[b];
        if (!x->pairs && !y->pairs) continue;
        say("%3.0f to %3.0f %%  %9p %9p %8z  %9p %9p %8z\n", 100.0 * b / BINS, 100.0 * (b + 1) / BINS, x->predicted,
            x->observed, x->pairs, y->predicted, y->observed, y->pairs);
    }
    say("\n%-*t  %8s  %8s\n", width, "model", "scale", "shift");
    show_scale("all", locus_pool_calibration(tool.pool, SIZE_MAX), width);
    for (size_t m = 0; m < shown; ++m) show_scale(model_name(m), locus_pool_calibration(tool.pool, m), width);
    if (shown < models) say("... and %z more (--all)\n", models - shown);
    say("\nwritten: %s\n", to);
    mention_pictures();
}

static void run_calibrate(void)
{
    const char *to = check_out();
    const char *how =
        opt.split ? "learned on val, measured on test" : "each half of the queries measured by what the other taught";
    calibration c = {.x = open_sample(SAMPLE_NEEDED)};
    split_sample(&c);
    float *logits = take(c.measured, c.x.models * sizeof *logits);
    predict_measured(&c, -1, logits);
    quality of[2]; // before, after
    of[0] = measure(&c, logits);
    for (int fold = 0; fold < (opt.split ? 1 : 2); ++fold) {
        calibrate_on(&c, fold);
        predict_measured(&c, fold, logits);
    }
    of[1] = measure(&c, logits);
    if (!opt.split) calibrate_on(&c, -1);
    save_pool();
    if (wants_picture()) {
        const char *title = phrase("Reliability of %zu models' predicted chances", c.x.models);
        const reliability_picture p = {.title = title,
                                       .note = phrase("%zu queries; %s", c.measured, how),
                                       .bins = {of[0].bins, of[1].bins},
                                       .count = BINS,
                                       .ece = {of[0].ece, of[1].ece}};
        save_picture(draw_reliability, &p, title);
    }
    if (opt.json) json_calibration(&c, of, to, how);
    else print_calibration(&c, of, to, how);
}

static const flag calibrate_flags[] = {
    POOL_FLAGS,
    QUERY_FLAGS("held-out queries [n, q_dim]"),
    SCORE_FLAGS(1),
    {"--split", "S.npy", TEXT, AT(split), 0, "part of each query: learn on 1 (val), measure on 2 (test)"},
    {"--out", "POOL.safetensors", TEXT, AT(out), 0, "write there (default: over the pool's own file)"},
    {"--all", "", SWITCH, AT(all), 0, "list every model, also if there are more than 40"},
    PICTURE_FLAGS("reliability diagram"),
    JSON_FLAG,
    COMMON_FLAGS};

const command calibrate_command = {
    "calibrate", "Make the predicted chances of a pool come true.", calibrate_flags, run_calibrate,
    "The evaluations must be ones that neither net nor embeddings have seen. Without --split the figures come from "
    "the\n"
    "half of the queries that was not learned from, and the pool keeps what all of them teach.\n\n"
    "Example:\n  locus calibrate --router router.safetensors --encodings q.npy --scores y.npy --svg "
    "reliability.svg\n"};
