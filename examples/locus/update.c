// SPDX-License-Identifier: MIT
// locus next, explain, update, calibrate: what evaluations teach about models of a pool.

#include "locus_tool.h"
#include "pictures.h"

static int run_next(session *s)
{
    const options *o = &s->opt;
    const locus_array *q = NULL;
    locus_queries queries;
    locus_next_opts opts;
    locus_next found;
    float *scores = NULL;
    size_t asked = 0, batch = o->batch ? o->batch : 1;
    char t[48];
    int status = open_net_and_pool(s);
    if (status) return status;
    if ((status = open_encodings(s, &q)) != DONE) return status;
    size_t n = q->shape[0];
    if (float_queries(s, "--encodings", o->encodings ? o->encodings : "", q, &queries)) return FAILED;
    if (o->scores) {
        if (load_row(s, "--scores", o->scores, n, SIZE_MAX, &scores)) return FAILED;
    } else { // nothing is known yet
        if (!(scores = (float *)take(s, n, sizeof *scores))) return FAILED;
        for (size_t i = 0; i < n; ++i) scores[i] = NAN;
    }
    for (size_t i = 0; i < n; ++i) asked += (size_t)!is_nan(scores[i]);
    if (batch > n - asked) {
        if (asked == n) return fail(s, "--scores: every query is answered; there is nothing left to ask");
        batch = n - asked;
    }
    if (start_threads(s)) return FAILED;
    memset(&opts, 0, sizeof opts);
    opts.batch = batch;
    opts.for_routing = o->for_routing;
    locus_evals evals = one_model(&queries, scores);
    size_t *picks = (size_t *)take(s, batch, sizeof *picks);
    if (!picks) return FAILED;
    if (locus_next_evaluations(s->pool, &evals, &opts, picks, &found, NULL, &s->err))
        return fail(s, "%s", s->err.message);
    if (o->json) {
        json("{'answered':%u,'enough':%b,'error':%d,'gain':%d,", asked, found.enough, found.error, found.gain);
        json_interval("accuracy", &found.accuracy);
        json(",'ask':[");
        for (size_t i = 0; i < found.count; ++i) {
            json("%c{'row':%u", i > 0, picks[i]);
            if (o->text_file) json(",'text':%s", s->texts.texts[picks[i]]);
            json("}");
        }
        json("]}\n");
        return DONE;
    }
    printf("%zu of %zu queries answered; accuracy over all of them: %s (90 %%)\n", asked, n,
           percents(t, &found.accuracy));
    printf("error of the predicted chances that more answers could remove: %.2f points; this batch removes %.1f %% of "
           "its square\n",
           100.0 * found.error, found.error > 0.0 ? 100.0 * found.gain / (found.error * found.error) : 0.0);
    printf("%s\n\n%4s  %9s\n", found.enough ? "enough: more would not pay" : "not enough yet: ask on", "ask",
           "query row");
    for (size_t i = 0; i < found.count; ++i) {
        printf("%4zu  %9zu", i + 1, picks[i]);
        print_words(s, o->text_file ? s->texts.texts : NULL, picks[i], 80);
        putchar('\n');
    }
    return DONE;
}

// The query that is asked about: --question in words, or row --row of --query, or of the evaluated ones.
static int load_question(session *s, const locus_queries *evaluated, const char **name, locus_queries *out)
{
    const options *o = &s->opt;
    const locus_array *a = NULL;
    char meaning[80], found[240];
    size_t row = 0;
    if (o->question && (o->query || o->row)) return misuse(s, "--question excludes --query and --row");
    if (!o->question && !o->query && !o->row)
        return misuse(s, "--question TEXT, --query Q.npy or --row N is required: the query to explain");
    if (o->row && !read_count(o->row, &row))
        return misuse(s, "--row: expected a whole number from 0, found \"%s\"", o->row);
    memset(out, 0, sizeof *out);
    out->count = 1;
    out->dim = s->info.q_dim;
    if (o->question) {
        const locus_text *encoder = locus_net_get_info(s->net).text;
        float *q = (float *)take(s, s->info.q_dim, sizeof *q);
        if (!q) return FAILED;
        if (!encoder) return fail(s, "--question: this net reads no text: give --query Q.npy");
        if (locus_encode_text(encoder, o->question, strlen(o->question), q, NULL, &s->err))
            return fail(s, "--question: %s", s->err.message);
        out->encodings = q;
        *name = o->question;
        return DONE;
    }
    if (o->query) {
        locus_queries all;
        snprintf(meaning, sizeof meaning, "[queries, %zu]", s->info.q_dim);
        if (open_array(s, "--query", o->query, 2, meaning, &a)) return FAILED;
        if (a->shape[1] != s->info.q_dim)
            return fail(s, "--query %s: expected %s, found %s", o->query, meaning, shape_text(a->shape, 2, found));
        if (float_queries(s, "--query", o->query, a, &all)) return FAILED;
        if (row >= all.count) return fail(s, "--row %zu: --query has %zu rows", row, all.count);
        out->encodings = all.encodings + row * all.dim;
        *name = phrase(s, "row %zu of %s", row, o->query);
        return DONE;
    }
    if (row >= evaluated->count) return fail(s, "--row %zu: %s has %zu rows", row, queries_name(s), evaluated->count);
    out->encodings = evaluated->encodings + row * evaluated->dim;
    *name = phrase(s, "row %zu of %s", row, queries_name(s));
    return DONE;
}

static void print_reasons(session *s, const char *title, const locus_reason *r, size_t count)
{
    printf("\n%s\n  %7s  %10s  %7s  %9s\n", title, "row", "similarity", "outcome", "influence");
    for (size_t i = 0; i < count; ++i) {
        printf("  %7zu  %10.3f  %7.3g  ", r[i].evaluation, (double)r[i].similarity, (double)r[i].score);
        if (is_finite(r[i].influence)) printf("%+9.2f", 100.0 * r[i].influence);
        else printf("%9s", "-");
        print_words(s, s->opt.text_file ? s->texts.texts : NULL, r[i].evaluation, 70);
        putchar('\n');
    }
}

static void json_reasons(const char *name, const locus_reason *r, size_t count)
{
    json(",'");
    printf("%s", name);
    json("':[");
    for (size_t i = 0; i < count; ++i)
        json("%c{'row':%u,'similarity':%f,'score':%f,'influence':%d}", i > 0, r[i].evaluation, (double)r[i].similarity,
             (double)r[i].score, r[i].influence);
    json("]");
}

// The likeliest of the other available models; none: as they were.
static int find_rival(session *s, const locus_queries *query, size_t model, const char **name, double *chance)
{
    const size_t m = locus_pool_count(s->pool);
    float *logits = (float *)take(s, m, sizeof *logits);
    size_t best = SIZE_MAX;
    if (!logits) return FAILED;
    if (locus_predict(s->pool, query, logits, NULL, &s->err)) return fail(s, "%s", s->err.message);
    for (size_t i = 0; i < m; ++i)
        if (i != model && locus_pool_model(s->pool, i)->available && (best == SIZE_MAX || logits[i] > logits[best]))
            best = i;
    if (best == SIZE_MAX) return DONE;
    *name = model_name(s, best);
    *chance = locus_probability((double)logits[best]);
    return DONE;
}

static int run_explain(session *s)
{
    const options *o = &s->opt;
    const locus_array *q = NULL;
    const char *name = "";
    locus_queries evaluated, query;
    locus_explain_opts opts;
    locus_explanation why;
    const char *second = "";
    double rival = NAN;
    float *scores = NULL;
    size_t model, k = o->top ? o->top : 8;
    int status = open_net_and_pool(s);
    if (status) return status;
    size_t m = locus_pool_count(s->pool);
    if (m == 0) return fail(s, "the pool is empty");
    if (!s->info.has_encoder) return fail(s, "expected a net with an encoder, found a predictor only");
    if ((status = open_encodings(s, &q)) != DONE) return status;
    if (float_queries(s, "--encodings", o->encodings ? o->encodings : "", q, &evaluated)) return FAILED;
    if ((status = load_question(s, &evaluated, &name, &query)) != DONE) return status;
    if (start_threads(s)) return FAILED;
    if (o->file) {
        if (find_model(s, "NAME", o->file, &model)) return FAILED;
    } else { // the one that would be chosen
        locus_choice choice;
        if (locus_route(s->pool, &query, NULL, &choice, NULL, NULL, &s->err)) return fail(s, "%s", s->err.message);
        model = choice.model;
    }
    if (load_row(s, "--scores", o->scores, evaluated.count, model, &scores)) return FAILED;
    locus_reason *influences = (locus_reason *)take(s, k, sizeof *influences),
                 *nearest = (locus_reason *)take(s, k, sizeof *nearest);
    if (!influences || !nearest) return FAILED;
    memset(&opts, 0, sizeof opts);
    opts.count = k;
    const locus_run run = run_of(s);
    locus_evals evals = one_model(&evaluated, scores);
    progress_begin(s, "explain");
    int failed =
        locus_explain(s->pool, model, &evals, &query, &opts, &why, influences, nearest, &run, &s->err) != LOCUS_OK;
    progress_end(s);
    if (failed) return fail(s, "%s, --scores %s: %s", queries_name(s), o->scores, s->err.message);
    if (find_rival(s, &query, model, &second, &rival)) return FAILED;
    if (o->json) {
        json("{'query':%s,'model':%s,'probability':%d,", name, model_name(s, model), why.probability);
        json("'runner_up':%s,'runner_up_probability':%d,'margin':%d", second, rival, why.probability - rival);
        json_reasons("influences", influences, why.influences);
        json_reasons("nearest", nearest, why.nearest);
        json("}\n");
        return DONE;
    }
    print_text(model_name(s, model), 0);
    printf(": %.1f %%", 100.0 * why.probability);
    if (*second) {
        printf("; the best other is ");
        print_text(second, 0);
        printf(" with %.1f %%: margin %+.1f points", 100.0 * rival, 100.0 * (why.probability - rival));
    }
    printf("\nquery: ");
    print_text(name, 0);
    putchar('\n');
    print_reasons(s, "Evaluations that moved it most (influence: points with it, less without it)", influences,
                  why.influences);
    print_reasons(s, "Nearest evaluated queries", nearest, why.nearest);
    return DONE;
}

static int log_answers(session *s, locus_log *log, const locus_queries *queries, const float *scores)
{
    for (size_t i = 0; i < queries->count; ++i) {
        if (is_nan(scores[i])) continue;
        if (locus_log_add(log, 0, queries->encodings + i * queries->dim, scores[i], &s->err))
            return fail(s, "evaluation %zu: %s", i, s->err.message);
    }
    return DONE;
}

typedef struct refreshed {  // what an update did
    size_t index, answered; // answered: with --complete, how many of the evaluations are real,
    locus_evals completed;  // and all of them as chances, for the memory
    locus_model before, after;
    double moved; // cosine distance
} refreshed;

// Embed the model from the log and put it into the pool.
static int refresh_model(session *s, locus_log *log, refreshed *r)
{
    float *z = (float *)take(s, s->info.z_dim, sizeof *z);
    if (!z) return FAILED;
    if (s->opt.window && locus_log_forget(log, 0, s->opt.window, &s->err))
        return fail(s, "--window: %s", s->err.message);
    locus_evals evals = locus_log_evals(log, 0);
    r->after.evaluations = 0;
    for (size_t i = 0; i < evals.queries.count; ++i) r->after.evaluations += !is_nan(evals.scores.f32[i]);
    if (r->after.evaluations == 0) return fail(s, "--scores %s: there is no evaluation in it", s->opt.scores);
    locus_run run = run_of(s);
    run.progress = NULL;
    if (locus_encode(s->net, &evals, z, LOCUS_ENCODE_AUTO, &run, &s->err)) return fail(s, "%s", s->err.message);
    if (r->answered) {
        evals = r->completed;
        r->after.evaluations = r->answered;
    }
    r->moved = NAN;
    if (r->index == SIZE_MAX) {
        if (locus_pool_add(s->pool, &r->after, z, &r->index, &s->err))
            return fail(s, "%s: %s", r->after.name, s->err.message);
    } else {
        const float *old = locus_pool_embedding(s->pool, r->index);
        double zz = 0.0, oo = 0.0, zo = 0.0;
        for (size_t i = 0; i < s->info.z_dim; ++i) {
            zz += (double)z[i] * (double)z[i];
            oo += (double)old[i] * (double)old[i];
            zo += (double)z[i] * (double)old[i];
        }
        r->moved = zz > 0.0 && oo > 0.0 ? fmax(0.0, 1.0 - zo / sqrt(zz * oo)) : 1.0;
        if (locus_pool_set(s->pool, r->index, &r->after, z, &s->err))
            return fail(s, "%s: %s", r->after.name, s->err.message);
    }
    if (locus_pool_get_info(s->pool).recall.landmarks &&
        locus_pool_recall_model(s->pool, r->index, &evals, NULL, &s->err))
        return fail(s, "%s: %s", r->after.name, s->err.message);
    return save_pool(s);
}

static int run_update(session *s)
{
    const options *o = &s->opt;
    const locus_array *q = NULL, *more_q = NULL;
    locus_queries queries, more;
    refreshed r;
    locus_log *log = NULL;
    float *scores = NULL, *more_scores = NULL;
    char found[240];
    int status = check_out(s);
    if (status) return status;
    if (o->complete && (o->more_encodings || o->window))
        return misuse(s, "--complete excludes --more-encodings, --more-scores and --window");
    if (!o->more_encodings != !o->more_scores) return misuse(s, "--more-encodings and --more-scores go together");
    if (!o->add && o->cost >= 0.0) return misuse(s, "--cost needs --add");
    if ((status = open_net_and_pool(s)) != DONE) return status;
    if (!s->info.has_encoder) return fail(s, "expected a net with an encoder, found a predictor only: give a --net");
    memset(&r, 0, sizeof r);
    r.index = locus_pool_find(s->pool, o->file);
    if (r.index == SIZE_MAX && !o->add) {
        fail_name(s, "NAME", o->file);
        return fail(s, "--add adds a new model");
    }
    if (r.index != SIZE_MAX && o->add) return fail(s, "--add: the pool has a model \"%s\" already", o->file);
    if (o->add) {
        if (strlen(o->file) >= sizeof r.after.name)
            return fail(s, "expected a name of at most %zu bytes", sizeof r.after.name - 1);
        strcpy(r.after.name, o->file);
        r.after.parameters_b = NAN;
        r.after.cost = o->cost >= 0.0 ? o->cost : (double)NAN;
        r.after.available = 1;
    } else {
        r.before = r.after = *locus_pool_model(s->pool, r.index);
    }
    if ((status = open_encodings(s, &q)) != DONE) return status;
    if (float_queries(s, "--encodings", o->encodings ? o->encodings : "", q, &queries)) return FAILED;
    if (load_row(s, "--scores", o->scores, queries.count, r.index, &scores)) return FAILED;
    if (o->complete) { // what was not asked, as far as it can be told
        locus_next_opts complete;
        memset(&complete, 0, sizeof complete);
        complete.chances = (float *)take(s, queries.count, sizeof *complete.chances);
        complete.answers = (unsigned char *)take(s, queries.count, 1);
        if (!complete.chances || !complete.answers) return FAILED;
        for (size_t i = 0; i < queries.count; ++i) r.answered += (size_t)!is_nan(scores[i]);
        if (r.answered == 0) return fail(s, "--scores %s: there is no evaluation in it", o->scores);
        r.completed = one_model(&queries, scores);
        if (locus_next_evaluations(s->pool, &r.completed, &complete, NULL, NULL, NULL, &s->err))
            return fail(s, "--complete: %s", s->err.message);
        for (size_t i = 0; i < queries.count; ++i) scores[i] = (float)complete.answers[i];
        r.completed.scores.f32 = complete.chances;
    }
    memset(&more, 0, sizeof more);
    if (o->more_encodings) {
        if (open_array(s, "--more-encodings", o->more_encodings, 2, "[queries, q_dim]", &more_q)) return FAILED;
        if (more_q->shape[1] != s->info.q_dim)
            return fail(s, "--more-encodings %s: expected [queries, %zu], found %s", o->more_encodings, s->info.q_dim,
                        shape_text(more_q->shape, 2, found));
        if (float_queries(s, "--more-encodings", o->more_encodings, more_q, &more) ||
            load_row(s, "--more-scores", o->more_scores, more.count, SIZE_MAX, &more_scores))
            return FAILED;
    }
    if (start_threads(s)) return FAILED;
    if (queries.count + more.count == 0) return fail(s, "--scores %s: there is no evaluation in it", o->scores);
    if (locus_log_create(&log, s->net, queries.count + more.count, 1, NULL, &s->err))
        return fail(s, "%s", s->err.message);
    int failed = log_answers(s, log, &queries, scores) ||
                 (o->more_encodings && log_answers(s, log, &more, more_scores)) || refresh_model(s, log, &r);
    locus_log_destroy(log);
    if (failed) return FAILED;
    const char *to = o->out ? o->out : pool_path(s);
    if (o->json) {
        json("{'model':%s,'index':%u,'added':%b,'evaluations_before':%u,'evaluations':%u,'moved':%d,'written':%s}\n",
             o->file, r.index, o->add, (size_t)r.before.evaluations, (size_t)r.after.evaluations, r.moved, to);
        return DONE;
    }
    print_text(o->file, 0);
    if (o->add) printf(": added, embedded from %zu evaluations\n", (size_t)r.after.evaluations);
    else
        printf(": embedded from %zu evaluations (before: %zu); it moved by a cosine distance of %.4f\n",
               (size_t)r.after.evaluations, (size_t)r.before.evaluations, r.moved);
    printf("written: %s\n", to);
    return DONE;
}

// Mean binary cross-entropy of the rows in use.
static double cross_entropy(const sample *x, const float *logits, const size_t *columns, size_t n)
{
    double sum = 0.0;
    size_t count = 0;
    for (size_t i = 0; i < n; ++i)
        for (size_t m = 0; m < x->models; ++m) {
            unsigned char y = x->scores[m * x->n + columns[i]];
            double l = (double)logits[i * x->models + m];
            if (y == 255) continue;
            sum += (l > 0.0 ? l : 0.0) - l * y + log1p(exp(-fabs(l)));
            ++count;
        }
    return count ? sum / (double)count : NAN;
}

// Learn from the queries of that part (part[i] == wanted; NULL: all).
static int calibrate_on(session *s, const sample *x, const unsigned char *part, int wanted)
{
    locus_evals evals;
    locus_run run;
    unsigned char *mask = part ? (unsigned char *)take(s, x->models, x->n) : NULL;
    if (part && !mask) return FAILED;
    for (size_t i = 0; part && i < x->models * x->n; ++i) mask[i] = part[i % x->n] == wanted;
    memset(&evals, 0, sizeof evals);
    memset(&run, 0, sizeof run);
    evals.queries = x->queries;
    evals.scores.models = x->models;
    evals.scores.u8 = x->scores;
    evals.scores.mask = mask;
    run.parallel = s->parallel;
    if (locus_pool_calibrate(s->pool, &evals, &run, &s->err))
        return fail(s, "--scores %s: %s", s->opt.scores, s->err.message);
    return DONE;
}

// Which part each query is of: 0 and 1 of --split's val and test, 2 neither; without --split every other one.
static int calibration_parts(session *s, size_t n, unsigned char **part)
{
    const locus_array *a = NULL;
    size_t count[3] = {0, 0, 0};
    if (!(*part = (unsigned char *)take(s, n, 1))) return FAILED;
    if (s->opt.split) {
        if (open_array(s, "--split", s->opt.split, 1, "one number for each query", &a)) return FAILED;
        if (a->count != n || !is_integer(a))
            return fail(s, "--split %s: expected %zu whole numbers (the rows of --encodings), found %zu of %s",
                        s->opt.split, n, a->count, dtype_name(a->dtype));
    }
    for (size_t i = 0; i < n; ++i) {
        int64_t v = a ? integer_at(a, i) - 1 : (int64_t)(i % 2);
        (*part)[i] = v == 0 || v == 1 ? (unsigned char)v : 2;
        ++count[(*part)[i]];
    }
    if (!count[0] || !count[1])
        return fail(s, "%s%s: expected queries of both val (1) and test (2)", a ? "--split " : "--encodings",
                    a ? s->opt.split : "");
    return DONE;
}

static int run_calibrate(session *s)
{
    enum { BINS = 15 };
    const options *o = &s->opt;
    sample x;
    locus_scores scores;
    locus_bin before[BINS], after[BINS];
    unsigned char *part = NULL;
    double ece[2] = {NAN, NAN}, bce[2];
    size_t measured = 0;
    int status = check_out(s), width;
    if (status) return status;
    if ((status = open_sample(s, SAMPLE_NEEDED, &x)) != DONE) return status;
    width = longest_name(s);
    if (calibration_parts(s, x.n, &part)) return FAILED;
    float *plain = (float *)take(s, x.n, x.models * sizeof *plain),
          *fitted = (float *)take(s, x.n, x.models * sizeof *fitted);
    float *now = (float *)take(s, x.n, x.models * sizeof *now);
    size_t *columns = (size_t *)take(s, x.n, sizeof *columns);
    if (!plain || !fitted || !now || !columns) return FAILED;
    if (predict_rows(s, x.array, NULL, 0, x.n, now)) return FAILED;
    for (size_t i = 0; i < x.n; ++i) // what is measured: test, or without --split each half by what the other taught
        if (part[i] == 1 || (!o->split && part[i] == 0)) {
            memcpy(plain + measured * x.models, now + i * x.models, x.models * sizeof *plain);
            columns[measured++] = i;
        }
    for (int fold = 0; fold < (o->split ? 1 : 2); ++fold) {
        if (calibrate_on(s, &x, part, fold) || predict_rows(s, x.array, NULL, 0, x.n, now)) return FAILED;
        for (size_t i = 0; i < measured; ++i)
            if (part[columns[i]] != fold)
                memcpy(fitted + i * x.models, now + columns[i] * x.models, x.models * sizeof *fitted);
    }
    if (!o->split && calibrate_on(s, &x, NULL, 0)) return FAILED;
    memset(&scores, 0, sizeof scores);
    scores.models = x.models;
    scores.count = x.n;
    scores.u8 = x.scores;
    if (locus_reliability(plain, measured, &scores, columns, SIZE_MAX, before, BINS, &ece[0], &s->err) ||
        locus_reliability(fitted, measured, &scores, columns, SIZE_MAX, after, BINS, &ece[1], &s->err))
        return fail(s, "--scores %s: %s", o->scores, s->err.message);
    bce[0] = cross_entropy(&x, plain, columns, measured);
    bce[1] = cross_entropy(&x, fitted, columns, measured);
    if (save_pool(s)) return FAILED;
    const char *to = o->out ? o->out : pool_path(s);
    const char *how =
        o->split ? "learned on val, measured on test" : "each half of the queries measured by what the other taught";
    if (wants_picture(s)) {
        reliability_picture picture;
        memset(&picture, 0, sizeof picture);
        picture.title = phrase(s, "Reliability of %zu models' predicted chances", x.models);
        picture.note = phrase(s, "%zu queries; %s", measured, how);
        picture.before = before;
        picture.after = after;
        picture.bins = BINS;
        picture.ece_before = ece[0];
        picture.ece_after = ece[1];
        if (save_picture(s, draw_reliability, &picture, picture.title)) return FAILED;
    }
    locus_calibration all = locus_pool_calibration(s->pool, SIZE_MAX);
    if (o->json) {
        json("{'written':%s,'queries':%u,'measured':%s,'ece_before':%d,'ece_after':%d,", to, measured, how, ece[0],
             ece[1]);
        json("'bce_before':%d,'bce_after':%d,'scale':%f,'shift':%f,'models':[", bce[0], bce[1], (double)all.scale,
             (double)all.shift);
        for (size_t m = 0; m < x.models; ++m) {
            locus_calibration c = locus_pool_calibration(s->pool, m);
            json("%c{'model':%s,'scale':%f,'shift':%f}", m > 0, model_name(s, m), (double)c.scale, (double)c.shift);
        }
        for (int k = 0; k < 2; ++k) {
            json(k ? "],'after':[" : "],'before':[");
            for (int b = 0; b < BINS; ++b) {
                const locus_bin *bin = k ? &after[b] : &before[b];
                json("%c{'predicted':%d,'observed':%d,'pairs':%u}", b > 0, bin->predicted, bin->observed, bin->pairs);
            }
        }
        json("]}\n");
        return DONE;
    }
    printf("%zu queries; %s\n\n", measured, how);
    printf("%-12s  %8s  %8s\n", "", "before", "after");
    printf("%-12s  %6.2f %%  %6.2f %%\n", "ECE", 100.0 * ece[0], 100.0 * ece[1]);
    printf("%-12s  %8.4f  %8.4f\n\n", "BCE", bce[0], bce[1]);
    printf("%-12s  %-28s  %-28s\n", "", "before", "after");
    printf("%-12s  %9s %9s %8s  %9s %9s %8s\n", "chance", "predicted", "observed", "answers", "predicted", "observed",
           "answers");
    for (int b = 0; b < BINS; ++b) {
        if (!before[b].pairs && !after[b].pairs) continue;
        printf("%3.0f to %3.0f %%", 100.0 * b / BINS, 100.0 * (b + 1) / BINS);
        for (int k = 0; k < 2; ++k) {
            const locus_bin *bin = k ? &after[b] : &before[b];
            char t[2][48];
            printf("  %9s %9s %8zu", percent(t[0], bin->predicted), percent(t[1], bin->observed), bin->pairs);
        }
        putchar('\n');
    }
    putchar('\n');
    print_text("model", width);
    printf("  %8s  %8s\n", "scale", "shift");
    print_text("all", width);
    printf("  %8.3f  %8.3f\n", (double)all.scale, (double)all.shift);
    for (size_t m = 0; m < x.models && (m < 40 || o->all); ++m) {
        locus_calibration c = locus_pool_calibration(s->pool, m);
        print_text(model_name(s, m), width);
        printf("  %8.3f  %8.3f\n", (double)c.scale, (double)c.shift);
    }
    if (x.models > 40 && !o->all) printf("... and %zu more (--all)\n", x.models - 40);
    printf("\nwritten: %s\n", to);
    mention_pictures(s);
    return DONE;
}

static const flag next_flags[] = {
    POOL_FLAGS,
    QUERY_FLAGS("queries that could be asked"),
    {"--scores", "Y.npy", TEXT, AT(scores), 0, "the new model's answers so far, [n]: u1 with 255 = not asked, or NaN"},
    {"--batch", "B", COUNT, AT(batch), 0, "how many to ask at once (default: 1)"},
    {"--for-routing", "", SWITCH, AT(for_routing), 0, "learn where it would be chosen, not what it knows"},
    JSON_FLAG,
    COMMON_FLAGS};

const command next_command = {
    "next", "Say what to ask a new model next, and whether enough is known.", next_flags, run_next,
    "The pool needs a memory (see locus embed --memory).\n\n"
    "Example:\n  locus next --router router.safetensors --encodings q.npy --scores answers.npy --batch 8\n"};

static const flag explain_flags[] = {
    {"NAME", "", POSITION, AT(file), 0, "a model of the pool (default: the one that is chosen)"},
    POOL_FLAGS,
    QUERY_FLAGS("the evaluated queries"),
    SCORE_FLAGS(1),
    {"--question", "TEXT", TEXT, AT(question), 0, "the query to explain, in words, for a net that reads text"},
    {"--query", "Q.npy", TEXT, AT(query), 0, "or encodings"},
    {"--row", "N", TEXT, AT(row), 0, "and the row of them, from 0 (without --query: of --encodings)"},
    {"--top", "K", COUNT, AT(top), 0, "how many reasons of each kind (default: 8)"},
    JSON_FLAG,
    COMMON_FLAGS};

const command explain_command = {
    "explain", "Say why a model is predicted to answer a query right or wrong.", explain_flags, run_explain,
    "--scores may be the model's own, [n], or have a row for each model of the pool.\n\n"
    "Example:\n  locus explain --router router.safetensors --encodings q.npy --scores y.npy --query new.npy --row "
    "3\n"};

static const flag update_flags[] = {
    {"NAME", "", POSITION, AT(file), 1, "a model of the pool"},
    POOL_FLAGS,
    QUERY_FLAGS("all queries that it answered so far"),
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

static const flag calibrate_flags[] = {
    POOL_FLAGS,
    QUERY_FLAGS("held-out queries"),
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
