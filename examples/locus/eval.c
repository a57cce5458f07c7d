// SPDX-License-Identifier: MIT
// locus eval: routing and prediction against known scores. What it costs is in frontier.c.

#include "eval.h"

// ---------------------------------------------------------------------------------------------------- what is measured

// The queries to evaluate on and the training queries, by --split and --use.
static void select_queries(replay *r)
{
    const char *word = opt.use ? opt.use : "test";
    const size_t n = r->g.count;
    const locus_array *a = opt.split ? open_integers("--split", opt.split, n) : NULL;
    const int all = strcmp(word, "all") == 0, place = find_word("train|val|test", word);
    size_t wanted = place >= 0 ? (size_t)place : 0;
    if (!a && opt.use) misuse("--use needs a --split");
    if (place < 0 && !all && !read_count(word, &wanted))
        misuse("--use: expected train, val, test, all or a number, found \"%s\"", word);
    r->use = take(n, sizeof *r->use);
    r->train = take(n, sizeof *r->train);
    for (size_t i = 0; i < n; ++i) {
        int missing = 0;
        if (a && integer_at(a, i) == 0) r->train[r->trained++] = i;
        if (a && !all && (integer_at(a, i) < 0 || (uint64_t)integer_at(a, i) != wanted)) continue;
        for (size_t m = 0; opt.fully_scored && m < r->models && !missing; ++m) missing = is_missing(&r->g, m, i);
        if (!missing) r->use[r->n++] = i;
    }
    if (r->n == 0) fail("--split, --use, --fully-scored: no query is left to evaluate on");
}

double cost_at(const replay *r, size_t i, size_t model)
{
    return r->c.of_query ? r->c.of_query[i * r->models + model] : r->own_cost[model];
}

// Which models may answer which query, and only the queries that some may. A rule that needs costs knows them.
static void keep_candidates(replay *r)
{
    const int cost_rule = opt.lambda > 0.0 || opt.max_cost >= 0.0 || opt.budget >= 0.0;
    size_t kept = 0;
    r->candidate = take(r->n, r->models);
    for (size_t i = 0; i < r->n; ++i) {
        unsigned char *candidate = r->candidate + kept * r->models;
        int some = 0;
        for (size_t m = 0; m < r->models; ++m) {
            const double cost = cost_at(r, i, m);
            int in = (r->among == LOCUS_AMONG_ALL || !is_missing(&r->g, m, r->use[i])) &&
                     (!r->rules.available || r->rules.available[m]);
            if (in && cost_rule) in = is_nan(cost) ? opt.allow_unpriced : !(opt.max_cost >= 0.0 && cost > opt.max_cost);
            candidate[m] = (unsigned char)in;
            some |= in;
        }
        if (!some) continue;
        r->use[kept] = r->use[i];
        if (r->c.of_query)
            memmove(r->c.of_query + kept * r->models, r->c.of_query + i * r->models, r->models * sizeof(double));
        ++kept;
    }
    r->left_out = r->n - kept;
    r->n = kept;
    if (!kept)
        fail("no query has a candidate: a model that is available, within the limits and, with --among scored, has a "
             "score");
}

// Scores, the queries in use, costs, candidates, and the order of the single models.
static void load_replay(replay *r, const locus_queries *q)
{
    const locus_array *y = open_scores(q->count, "--encodings");
    const size_t *rows = match_models(y->shape[0]), m = r->models = locus_pool_count(tool.pool);
    r->rules = read_rules();
    r->g = pick_grades(y, rows, m, NULL, q->count);
    select_queries(r);
    if (opt.categories) r->category = load_categories(q->count);
    const cost_scope scope = {.rows = y->shape[0],
                              .columns = q->count,
                              .model_rows = rows,
                              .use = r->use,
                              .n = r->n,
                              .texts = query_texts(),
                              .known = opt.models ? load_models(y->shape[0], "the rows of --scores") : NULL,
                              .scores = &r->g};
    r->c = load_costs(&scope);
    for (size_t i = 0; i < r->n; ++i)
        for (size_t k = 0; k < m; ++k) {
            float v = score_at(&r->g, k, r->use[i]);
            r->missing += (size_t)is_missing(&r->g, k, r->use[i]);
            r->graded |= v > 0.0f && v < 1.0f;
        }
    r->missing_share = (double)r->missing / ((double)r->n * (double)m);
    r->among = opt.among == 2 || (!opt.among && !r->missing) ? LOCUS_AMONG_ALL : LOCUS_AMONG_SCORED;
    r->own_cost = take(m, sizeof *r->own_cost);
    r->leaders = take(m, sizeof *r->leaders);
    r->means = take(m, sizeof *r->means);
    for (size_t k = 0; k < m; ++k) r->own_cost[k] = locus_pool_model(tool.pool, k)->cost;
    if (!r->rules.available) { // an evaluation is of all models, up or down
        unsigned char *every = take(m, 1);
        r->rules.available = memset(every, 1, m);
    }
    must_file(locus_leaders(&r->g, r->trained ? r->train : r->use, r->trained ? r->trained : r->n, r->among, r->leaders,
                            r->means, &tool.quiet, &tool.err),
              "--scores", opt.scores);
    keep_candidates(r);
}

// What the router and the leader got and paid, query by query.
static void compare_to_leader(replay *r)
{
    double *right[2], *score[2];
    for (int k = 0; k < 2; ++k) {
        right[k] = take(r->n, sizeof *right[k]);
        score[k] = take(r->n, sizeof *score[k]);
        for (size_t i = 0; i < r->n; ++i) {
            size_t model = r->choices[i].model, l = 0;
            if (k) {
                while (!r->candidate[i * r->models + r->leaders[l]]) ++l;
                model = r->leaders[l];
            }
            score[k][i] = (double)score_at(&r->g, model, r->use[i]);
            right[k][i] = score[k][i] > 0.5;
            r->mean_cost[k] += cost_at(r, i, model) / (double)r->n;
        }
    }
    must(locus_paired_difference(right[0], right[1], r->n, 0.9, 0, 0, &r->right, &tool.quiet, &tool.err));
    must(locus_paired_difference(score[0], score[1], r->n, 0.9, 0, 0, &r->score, &tool.quiet, &tool.err));
}

// ----------------------------------------------------------------------------------------------------- tables and JSON

void json_metrics(const locus_metrics *x)
{
    json("'queries':%u,'pairs':%u,'hit1':%d,'hit3':%d,'hit5':%d,'prediction_accuracy':%d,'bce':%d,'brier':%d,'auc':%d",
         x->queries, x->pairs, x->hit1, x->hit3, x->hit5, x->prediction_accuracy, x->bce, x->brier, x->auc);
    json("'ece':%d,'best_single_hit1':%d,'random_hit1':%d,'oracle_hit1':%d,'models_routed':%u", x->ece, x->best_single,
         x->random_model, x->oracle, x->models_routed);
    json("'routing_score':%d,'best_single_score':%d,'random_score':%d,'oracle_score':%d", x->routing_score,
         x->best_single_score, x->random_model_score, x->oracle_score);
}

static void print_metrics(const char *name, int width, const locus_metrics *x, int graded)
{
    say("%-*t  %7z  %6.2f  %6.2f  %6.2f  %6.2f  %6.2f  %6.2f", width, name, x->queries, 100.0 * x->hit1,
        100.0 * x->best_single, 100.0 * x->random_model, 100.0 * x->oracle, 100.0 * x->hit3, 100.0 * x->hit5);
    if (graded)
        say("  %6.2f  %6.2f  %6.2f  %6.2f", 100.0 * x->routing_score, 100.0 * x->best_single_score,
            100.0 * x->random_model_score, 100.0 * x->oracle_score);
    say("  %8.2f  %6.4f  %6.4f  %6.4f  %6.4f  %6z\n", 100.0 * x->prediction_accuracy, x->bce, x->brier, x->auc, x->ece,
        x->models_routed);
}

static void print_metrics_head(int width, int graded)
{
    say("\n%*s  %7s  %-30s  %-14s", width, "", "", "answered right, %", "any of, %");
    if (graded) say("  %-30s", "mean score, %");
    say("  %-8s\n%*s  %7s  %6s  %6s  %6s  %6s  %6s  %6s", "right, %", width, "", "queries", "hit@1", "single", "random",
        "oracle", "hit@3", "hit@5");
    if (graded) say("  %6s  %6s  %6s  %6s", "router", "single", "random", "oracle");
    say("  %8s  %6s  %6s  %6s  %6s  %6s\n", "predict", "BCE", "Brier", "AUC", "ECE", "models");
}

// Who is compared with, what is missing, which rules held.
static void print_terms(const replay *r, double budget_cost)
{
    say("best single model: %t", model_name(r->leaders[0]));
    if (r->trained) say(" (chosen on %z training queries)\n", r->trained);
    else say(" (in hindsight: chosen on the queries it is measured on)\n");
    if (r->missing)
        say("%.1f %% of the scores are missing: %s\n", 100.0 * r->missing_share,
            r->among == LOCUS_AMONG_SCORED ? "a query's candidates are the models that have one; the best single model "
                                             "is the best of these"
                                           : "each counts as a miss");
    if (r->left_out) say("%z queries without a candidate are left out\n", r->left_out);
    print_cost_notes(&r->c);
    if (opt.budget >= 0.0)
        say("lambda %g keeps the mean cost at %g (budget %g)\n", r->rules.lambda, budget_cost, opt.budget);
    if (r->rules.guard == LOCUS_GUARD_GIVEN) {
        size_t kept = 0;
        for (size_t i = 0; i < r->n; ++i) kept += r->choices[i].rule == LOCUS_RULE_DEFAULT_KEPT;
        say("guard: %t stays unless another gains more than %g: on %.1f %% of the queries\n",
            model_name(r->rules.default_model), r->rules.margin, 100.0 * (double)kept / (double)r->n);
    }
}

static void json_terms(const replay *r)
{
    json("{'best_single_model':%s,'best_single_chosen_on':%s,'training_queries':%u", model_name(r->leaders[0]),
         r->trained ? "train" : "hindsight", r->trained);
    json("'among':%s,'missing':%d,'left_out':%u,'lambda':%d,'mean_cost':%d,'best_single_mean_cost':%d",
         r->among == LOCUS_AMONG_SCORED ? "scored" : "all", r->missing_share, r->left_out, r->rules.lambda,
         r->mean_cost[0], r->mean_cost[1]);
}

void print_points(const char *before, const locus_interval *x, const char *unit)
{
    say("%s%+.2f%s", before, 100.0 * x->value, unit);
    if (is_finite(x->low) && is_finite(x->high)) say(" (%+.2f to %+.2f)", 100.0 * x->low, 100.0 * x->high);
}

// What the router chooses; returns the mean cost that --budget leads to.
static double choose_models(replay *r, const locus_queries *q)
{
    const locus_queries used = pick_queries(q, r->use, r->n);
    locus_choice *choices = take(r->n, sizeof *choices);
    r->logits = predict_logits(&used, 1);
    r->rules.query_available = r->candidate;
    r->rules.query_cost = r->c.of_query;
    const double budget_cost = keep_budget(r->logits, r->n, &r->rules);
    must_rank(locus_rank(tool.pool, r->logits, r->n, &r->rules, choices, &tool.err));
    r->choices = choices;
    return budget_cost;
}

// The metrics of the queries of a category; SIZE_MAX: of all.
static locus_metrics measure_category(const replay *r, size_t category)
{
    int32_t *of = category == SIZE_MAX ? NULL : take(r->n, sizeof *of);
    for (size_t i = 0; of && i < r->n; ++i) of[i] = r->category.of[r->use[i]];
    const locus_metrics_opts how = {.columns = r->use,
                                    .among = r->among,
                                    .query_available = r->candidate,
                                    .leaders = r->leaders,
                                    .leader_count = r->models,
                                    .choices = r->choices,
                                    .select = of,
                                    .value = (int32_t)category};
    locus_metrics x;
    must_file(locus_metrics_compute(&x, r->logits, r->n, &r->g, &how, &tool.quiet, &tool.err), "--scores", opt.scores);
    return x;
}

static void show_categories(const replay *r, int width)
{
    if (opt.json) json("'categories':[");
    for (size_t c = 0; c < r->category.count; ++c) {
        const locus_metrics x = measure_category(r, c);
        if (x.queries == 0) continue;
        if (opt.json) {
            json("\n{'category':%s", r->category.names[c]);
            json_metrics(&x);
            json("}");
        } else print_metrics(r->category.names[c], width, &x, r->graded);
    }
    if (opt.json) json("]");
}

static void run_eval(void)
{
    replay r = {0};
    check_cost_flags();
    if (!opt.weak != !opt.strong) misuse("--weak and --strong go together");
    open_net_and_pool();
    const locus_queries q = open_queries();
    load_replay(&r, &q);
    const double budget_cost = choose_models(&r, &q);
    const locus_metrics x = measure_category(&r, SIZE_MAX);
    const int width = widest(r.category.names, r.category.count, 7);
    compare_to_leader(&r);
    open_frontier(&r);
    if (opt.json) {
        json_terms(&r);
        json("'overall':{");
        json_metrics(&x);
        json("},'difference':{'level':0.9,'hit1':%i,'score':%i}", &r.right, &r.score);
        json_frontier(&r);
        show_categories(&r, width);
        json("}\n");
        return;
    }
    print_terms(&r, budget_cost);
    print_metrics_head(width, r.graded);
    print_metrics("overall", width, &x, r.graded);
    show_categories(&r, width);
    print_points("\nrouter less best single model: ", &r.right, " points answered right");
    if (r.graded) print_points(", ", &r.score, " of mean score");
    say(", 90 %% interval over queries\n");
    if (is_finite(r.mean_cost[0]) && (r.mean_cost[0] > 0.0 || r.mean_cost[1] > 0.0))
        say("mean cost: router %.6g, best single model %.6g\n", r.mean_cost[0], r.mean_cost[1]);
    print_frontier(&r);
}

static const flag eval_flags[] = {
    NET_AND_POOL_FLAGS,
    QUERY_FLAGS("query encodings [n, q_dim]"),
    SCORE_FLAGS(1),
    {"--split", "S.npy", TEXT, AT(split), 0, "part of each query: 0 train, 1 val, 2 test"},
    {"--use", "train|val|test|all|NUMBER", TEXT, AT(use), 0, "the part to evaluate on (default: test)"},
    {"--categories", "FILE", TEXT, AT(categories), 0, "category of each query: see below"},
    {"--fully-scored", "", SWITCH, AT(fully_scored), 0, "only queries on which every model has a score"},
    {"--among", "scored|all", CHOICE_1, AT(among), 0,
     "a query's candidates: models with a score on it (default where some are missing), or all, missing = miss"},
    COST_FLAGS,
    {"--weak", "NAME", TEXT, AT(weak), 0, "with --strong: how much of the gap between the two routing recovers (APGR)"},
    {"--strong", "NAME", TEXT, AT(strong), 0, "the other of the two"},
    {"--svg", "FILE", TEXT, AT(svg), 0, "the frontier of quality against mean cost, as a picture"},
    JSON_FLAG,
    COMMON_FLAGS};

const command eval_command = {
    "eval", "Measure routing and prediction against known scores.", eval_flags, run_eval,
    "A missing score is unknown: see --among. It is left out of the prediction figures. The best single model is "
    "chosen\n"
    "on part 0 of --split; without it in hindsight. --categories: a text file with one category per line, a "
    ".jsonl\n"
    "file with a \"category\" in each line, or an .npy of whole numbers.\n\n"
    "Columns: hit@1 of the router, the best single model, a random model and an oracle; hit@3, hit@5; share of right\n"
    "predictions; binary cross-entropy, Brier score, area under the ROC curve, calibration error; models chosen.\n"
    "Graded scores: also means of the scores themselves.\n\n"
    "With --costs, --prices or costs in the pool also the frontier of quality (mean score) against mean cost over "
    "all\n"
    "prices of cost, next to the zero router (the hull of single models), a random model and the oracle; AIQ, the "
    "mean\n"
    "quality of the hull over the single models' costs (RouterBench); what quality costs, and saves against the best\n"
    "single model. Intervals: 90 %, paired bootstrap over queries.\n" COST_HELP "\n"
    "Example:\n  locus eval --router router.safetensors --encodings q.npy --scores y.npy --split split.npy --use "
    "test\n"};
