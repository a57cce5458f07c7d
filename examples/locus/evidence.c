// SPDX-License-Identifier: MIT
// locus next, explain: what to ask a new model next, and why a model is predicted to be right or wrong.

#include "locus_tool.h"

// ---------------------------------------------------------------------------------------------------------------- next

static void run_next(void)
{
    open_net_and_pool();
    const locus_queries queries = open_queries();
    const size_t n = queries.count;
    float *scores = opt.scores ? load_row("--scores", opt.scores, n, SIZE_MAX) : take(n, sizeof *scores);
    size_t asked = 0;
    for (size_t i = 0; i < n; ++i) {
        if (!opt.scores) scores[i] = NAN; // nothing is known yet
        asked += (size_t)!is_nan(scores[i]);
    }
    if (asked == n) fail("--scores: every query is answered; there is nothing left to ask");
    locus_next_opts opts = {.batch = opt.batch ? opt.batch : 1, .for_routing = opt.for_routing};
    if (opts.batch > n - asked) opts.batch = n - asked;
    const locus_evals evals = one_model(&queries, scores);
    size_t *picks = take(opts.batch, sizeof *picks);
    locus_next found;
    must(locus_next_evaluations(tool.pool, &evals, &opts, picks, &found, &tool.quiet, &tool.err));
    if (opt.json) {
        json("{'answered':%u,'enough':%b,'error':%d,'gain':%d,'accuracy':%i,'ask':[", asked, found.enough, found.error,
             found.gain, &found.accuracy);
        for (size_t i = 0; i < found.count; ++i) {
            json("{'row':%u", picks[i]);
            if (opt.text_file) json("'text':%s", tool.texts.texts[picks[i]]);
            json("}");
        }
        json("]}\n");
        return;
    }
    say("%z of %z queries answered; accuracy over all of them: %i (90 %%)\n", asked, n, &found.accuracy);
    say("error of the predicted chances that more answers could remove: %.2f points; this batch removes %.1f %% of its "
        "square\n",
        100.0 * found.error, found.error > 0.0 ? 100.0 * found.gain / (found.error * found.error) : 0.0);
    say("%s\n\n%4s  %9s\n", found.enough ? "enough: more would not pay" : "not enough yet: ask on", "ask", "query row");
    for (size_t i = 0; i < found.count; ++i) {
        say("%4z  %9z", i + 1, picks[i]);
        print_words(query_texts(), picks[i], 80);
        say("\n");
    }
}

static const flag next_flags[] = {
    POOL_FLAGS,
    QUERY_FLAGS("queries that could be asked [n, q_dim]"),
    {"--scores", "Y.npy", TEXT, AT(scores), 0, "the new model's answers so far, [n]: u1 with 255 = not asked, or NaN"},
    {"--batch", "B", COUNT, AT(batch), 0, "how many to ask at once (default: 1)"},
    {"--for-routing", "", SWITCH, AT(for_routing), 0, "learn where it would be chosen, not what it knows"},
    JSON_FLAG,
    COMMON_FLAGS};

const command next_command = {
    "next", "Say what to ask a new model next, and whether enough is known.", next_flags, run_next,
    "The pool needs a memory (see locus embed --memory).\n\n"
    "Example:\n  locus next --router router.safetensors --encodings q.npy --scores answers.npy --batch 8\n"};

// ------------------------------------------------------------------------------------------------------------- explain

// Row --row of the queries; *name: in words.
static locus_queries question_row(const locus_queries *from, const char *from_name, const char *whose,
                                  const char **name)
{
    size_t row = 0;
    if (opt.row && !read_count(opt.row, &row)) misuse("--row: expected a whole number from 0, found \"%s\"", opt.row);
    if (row >= from->count) fail("--row %zu: %s has %zu rows", row, whose, from->count);
    *name = phrase("row %zu of %s", row, from_name);
    return (locus_queries){.encodings = from->encodings + row * from->dim, .count = 1, .dim = from->dim};
}

// The query that is asked about: --question in words, or row --row of --query, or of the evaluated ones.
static locus_queries load_question(const locus_queries *evaluated, const char **name)
{
    if (opt.question && (opt.query || opt.row)) misuse("--question excludes --query and --row");
    if (!opt.question && !opt.query && !opt.row)
        misuse("--question TEXT, --query Q.npy or --row N is required: the query to explain");
    if (opt.question) {
        const locus_text *encoder = tool.info.text;
        float *q = take(tool.info.q_dim, sizeof *q);
        if (!encoder) fail("--question: this net reads no text: give --query Q.npy");
        must_for(locus_encode_text(encoder, opt.question, strlen(opt.question), q, NULL, &tool.err), "--question");
        *name = opt.question;
        return (locus_queries){.encodings = q, .count = 1, .dim = tool.info.q_dim};
    }
    if (!opt.query) return question_row(evaluated, queries_name(), queries_name(), name);
    const locus_queries all = load_queries("--query", opt.query);
    return question_row(&all, opt.query, "--query", name);
}

// The model that would be chosen.
static size_t choose_model(const locus_queries *query)
{
    locus_choice choice;
    must(locus_route(tool.pool, query, NULL, &choice, NULL, &tool.quiet, &tool.err));
    return choice.model;
}

// The likeliest of the other available models; SIZE_MAX: there is none.
static size_t find_rival(const locus_queries *query, size_t model, double *chance)
{
    const size_t m = locus_pool_count(tool.pool);
    float *logits = take(m, sizeof *logits);
    size_t best = SIZE_MAX;
    must(locus_predict(tool.pool, query, logits, &tool.quiet, &tool.err));
    for (size_t i = 0; i < m; ++i)
        if (i != model && locus_pool_model(tool.pool, i)->available && (best == SIZE_MAX || logits[i] > logits[best]))
            best = i;
    *chance = best == SIZE_MAX ? (double)NAN : locus_probability((double)logits[best]);
    return best;
}

static void show_reasons(const char *name, const char *title, const locus_reason *r, size_t count)
{
    if (opt.json) json("%s:[", name);
    else say("\n%s\n  %7s  %10s  %7s  %9s\n", title, "row", "similarity", "outcome", "influence");
    for (size_t i = 0; i < count; ++i) {
        const double similarity = (double)r[i].similarity, score = (double)r[i].score;
        if (opt.json) {
            json("{'row':%u,'similarity':%f,'score':%f,'influence':%d}", r[i].evaluation, similarity, score,
                 r[i].influence);
            continue;
        }
        say("  %7z  %10.3f  %7.3g  %+9.2f", r[i].evaluation, similarity, score, 100.0 * r[i].influence);
        print_words(query_texts(), r[i].evaluation, 70);
        say("\n");
    }
    if (opt.json) json("]");
}

static void run_explain(void)
{
    const char *name;
    open_net_and_pool();
    if (locus_pool_count(tool.pool) == 0) fail("the pool is empty");
    need_encoder("");
    const locus_queries evaluated = open_queries(), query = load_question(&evaluated, &name);
    const size_t model = opt.file ? find_model("NAME", opt.file) : choose_model(&query), k = opt.top ? opt.top : 8;
    const locus_evals evals = one_model(&evaluated, load_row("--scores", opt.scores, evaluated.count, model));
    const locus_explain_opts opts = {.count = k};
    locus_reason *influences = take(k, sizeof *influences), *nearest = take(k, sizeof *nearest);
    locus_explanation why;
    progress_begin("explain");
    must_for(locus_explain(tool.pool, model, &evals, &query, &opts, &why, influences, nearest, &tool.run, &tool.err),
             phrase("%s, --scores %s", queries_name(), opt.scores));
    progress_end();
    double chance;
    const size_t rival = find_rival(&query, model, &chance);
    const char *second = rival == SIZE_MAX ? "" : model_name(rival);
    if (opt.json) {
        json("{'query':%s,'model':%s,'probability':%d", name, model_name(model), why.probability);
        json("'runner_up':%s,'runner_up_probability':%d,'margin':%d", second, chance, why.probability - chance);
    } else {
        say("%t: %.1f %%", model_name(model), 100.0 * why.probability);
        if (*second)
            say("; the best other is %t with %.1f %%: margin %+.1f points", second, 100.0 * chance,
                100.0 * (why.probability - chance));
        say("\nquery: %t\n", name);
    }
    show_reasons("influences", "Evaluations that moved it most (influence: points with it, less without it)",
                 influences, why.influences);
    show_reasons("nearest", "Nearest evaluated queries", nearest, why.nearest);
    if (opt.json) json("}\n");
}

static const flag explain_flags[] = {
    {"NAME", "", POSITION, AT(file), 0, "a model of the pool (default: the one that is chosen)"},
    POOL_FLAGS,
    QUERY_FLAGS("the evaluated queries [n, q_dim]"),
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
