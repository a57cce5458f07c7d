// SPDX-License-Identifier: MIT
// locus eval: routing and prediction against known scores.

#include "locus_tool.h"

// The queries to evaluate on and the training queries, by --split and --use.
static int select_queries(session *s, const grades *scores, size_t **use, size_t *used, size_t **train, size_t *trained)
{
    static const char parts[] = "train|val|test";
    const char *path = s->opt.split, *word = s->opt.use ? s->opt.use : "test";
    const locus_array *a = NULL;
    size_t wanted = 0, n = scores->n;
    int all = strcmp(word, "all") == 0;
    *used = *trained = 0;
    *use = (size_t *)take(s, n, sizeof **use);
    *train = (size_t *)take(s, n, sizeof **train);
    if (!*use || !*train) return FAILED;
    if (path) {
        if (open_array(s, "--split", path, 1, "one number for each query", &a)) return FAILED;
        if (a->count != n || !is_integer(a))
            return fail(s, "--split %s: expected %zu whole numbers (the rows of --encodings), found %zu of %s", path, n,
                        a->count, dtype_name(a->dtype));
        int place = find_word(parts, word);
        if (place >= 0) wanted = (size_t)place;
        else if (!all && !read_count(word, &wanted))
            return misuse(s, "--use: expected train, val, test, all or a number, found \"%s\"", word);
    } else if (s->opt.use) {
        return misuse(s, "--use needs a --split");
    }
    for (size_t i = 0; i < n; ++i) {
        int missing = 0;
        if (a && integer_at(a, i) == 0) (*train)[(*trained)++] = i;
        if (a && !all && (integer_at(a, i) < 0 || (uint64_t)integer_at(a, i) != wanted)) continue;
        for (size_t m = 0; s->opt.fully_scored && m < scores->models && !missing; ++m)
            missing = is_missing(scores, m, i);
        if (!missing) (*use)[(*used)++] = i;
    }
    if (*used == 0) return fail(s, "--split, --use, --fully-scored: no query is left to evaluate on");
    return DONE;
}

static void print_metrics(const char *name, int width, const locus_metrics *x, int graded)
{
    char t[4][16];
    print_text(name, width);
    printf("  %7zu  %6.2f  %6.2f  %6.2f  %6.2f  %6.2f  %6.2f", x->queries, 100.0 * x->hit1, 100.0 * x->best_single,
           100.0 * x->random_model, 100.0 * x->oracle, 100.0 * x->hit3, 100.0 * x->hit5);
    if (graded)
        printf("  %6.2f  %6.2f  %6.2f  %6.2f", 100.0 * x->routing_score, 100.0 * x->best_single_score,
               100.0 * x->random_model_score, 100.0 * x->oracle_score);
    printf("  %8s  %6s  %6s  %6s", figure(t[0], x->prediction_accuracy, 100.0, 2), figure(t[1], x->bce, 1.0, 4),
           figure(t[2], x->brier, 1.0, 4), figure(t[3], x->auc, 1.0, 4));
    printf("  %6s  %6zu\n", figure(t[0], x->ece, 1.0, 4), x->models_routed);
}

void print_metrics_json(const locus_metrics *x)
{
    json("'queries':%u,'pairs':%u,'hit1':%d,'hit3':%d,'hit5':%d,'prediction_accuracy':%d,'bce':%d,'brier':%d,'auc':%d,",
         x->queries, x->pairs, x->hit1, x->hit3, x->hit5, x->prediction_accuracy, x->bce, x->brier, x->auc);
    json("'ece':%d,'best_single_hit1':%d,'random_hit1':%d,'oracle_hit1':%d,'models_routed':%u,", x->ece, x->best_single,
         x->random_model, x->oracle, x->models_routed);
    json("'routing_score':%d,'best_single_score':%d,'random_score':%d,'oracle_score':%d}", x->routing_score,
         x->best_single_score, x->random_model_score, x->oracle_score);
}

double cost_at(const replay *r, size_t i, size_t model)
{
    return r->c.of_query ? r->c.of_query[i * r->models + model] : r->own_cost[model];
}

// Which models may answer which query, and only the queries that some may. A rule that needs costs knows them.
static int keep_candidates(session *s, replay *r)
{
    const options *o = &s->opt;
    const int cost_rule = o->lambda > 0.0 || o->max_cost >= 0.0 || o->budget >= 0.0;
    size_t kept = 0;
    if (!(r->candidate = (unsigned char *)take(s, r->n, r->models))) return FAILED;
    for (size_t i = 0; i < r->n; ++i) {
        unsigned char *candidate = r->candidate + kept * r->models;
        int some = 0;
        for (size_t m = 0; m < r->models; ++m) {
            double cost = cost_at(r, i, m);
            int in = (r->among == LOCUS_AMONG_ALL || !is_missing(&r->g, m, r->use[i])) &&
                     (!r->rules.available || r->rules.available[m]);
            if (in && cost_rule) in = is_nan(cost) ? o->allow_unpriced : !(o->max_cost >= 0.0 && cost > o->max_cost);
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
    return kept ? DONE
                : fail(s, "no query has a candidate: a model that is available, within the limits and, with --among "
                          "scored, has a score");
}

// What the router and the leader got and paid, query by query.
static int compare_to_leader(session *s, replay *r)
{
    for (int k = 0; k < 2; ++k) {
        r->right[k] = (double *)take(s, r->n, sizeof(double));
        r->score[k] = (double *)take(s, r->n, sizeof(double));
        if (!r->right[k] || !r->score[k]) return FAILED;
        r->mean_cost[k] = 0.0;
    }
    for (size_t i = 0; i < r->n; ++i)
        for (int k = 0; k < 2; ++k) {
            size_t model = r->choices[i].model, l = 0;
            if (k) {
                while (!r->candidate[i * r->models + r->leaders[l]]) ++l;
                model = r->leaders[l];
            }
            r->score[k][i] = (double)score_at(&r->g, model, r->use[i]);
            r->right[k][i] = r->score[k][i] > 0.5;
            r->mean_cost[k] += cost_at(r, i, model) / (double)r->n;
        }
    return DONE;
}

static int run_eval(session *s)
{
    const options *o = &s->opt;
    const locus_array *q = NULL, *y = NULL;
    size_t *rows = NULL, *train = NULL, trained = 0, category_count = 0;
    int32_t *category = NULL, *selected = NULL;
    const char **names = NULL;
    locus_model *table = NULL;
    replay r;
    locus_metrics x;
    locus_metrics_opts how;
    locus_interval right, score;
    char found[240];
    double budget_cost = NAN;
    int status = check_cost_flags(s), width = 7, graded = 0;
    memset(&r, 0, sizeof r);
    memset(&how, 0, sizeof how);
    if (!o->weak != !o->strong) return misuse(s, "--weak and --strong go together");
    if (status || (status = open_net_and_pool(s)) != DONE) return status;
    if ((status = open_encodings(s, &q)) != DONE) return status;
    if (open_grades(s, "--scores", o->scores, &y)) return FAILED;
    if (y->shape[1] != q->shape[0])
        return fail(s, "--scores %s: expected [models, %zu] (the rows of --encodings), found %s", o->scores,
                    q->shape[0], shape_text(y->shape, 2, found));
    if (match_models(s, y->shape[0], &rows)) return FAILED;
    size_t m = r.models = locus_pool_count(s->pool);
    if ((status = read_rules(s, &r.rules)) != DONE) return status;
    if (pick_grades(s, y, rows, m, NULL, y->shape[1], &r.g)) return FAILED;
    if ((status = select_queries(s, &r.g, &r.use, &r.n, &train, &trained)) != DONE) return status;
    if (o->categories && load_categories(s, y->shape[1], &category, &names, &category_count)) return FAILED;
    if (o->models && load_models(s, y->shape[0], "the rows of --scores", &table)) return FAILED;
    if ((status = load_costs(s, table, rows, y->shape[0], y->shape[1], r.use, 0, r.n,
                             s->texts.count ? s->texts.texts : NULL, &r.g, &r.c)) != DONE)
        return status;
    if (start_threads(s)) return FAILED;
    for (size_t i = 0; i < r.n; ++i)
        for (size_t k = 0; k < m; ++k) {
            float v = score_at(&r.g, k, r.use[i]);
            r.missing += is_missing(&r.g, k, r.use[i]) != 0;
            graded |= v > 0.0f && v < 1.0f;
        }
    double missing = (double)r.missing / ((double)r.n * (double)m);
    r.among = o->among == 2 || (!o->among && !r.missing) ? LOCUS_AMONG_ALL : LOCUS_AMONG_SCORED;
    r.scores.models = m;
    r.scores.count = r.g.n;
    r.scores.f32 = r.g.f32;
    r.scores.u8 = r.g.u8;
    unsigned char *every = (unsigned char *)take(s, m, 1);
    r.own_cost = (double *)take(s, m, sizeof *r.own_cost);
    r.leaders = (size_t *)take(s, m, sizeof *r.leaders);
    r.means = (double *)take(s, m, sizeof *r.means);
    if (!every || !r.own_cost || !r.leaders || !r.means) return FAILED;
    memset(every, 1, m);
    if (!r.rules.available) r.rules.available = every; // an evaluation is of all models, up or down
    for (size_t k = 0; k < m; ++k) r.own_cost[k] = locus_pool_model(s->pool, k)->cost;
    if (locus_leaders(&r.scores, trained ? train : r.use, trained ? trained : r.n, r.among, r.leaders, r.means, NULL,
                      &s->err))
        return fail_library(s, "--scores", o->scores);
    if (keep_candidates(s, &r)) return FAILED;
    r.logits = (float *)take(s, r.n, m * sizeof *r.logits);
    r.choices = (locus_choice *)take(s, r.n, sizeof *r.choices);
    selected = (int32_t *)take(s, r.n, sizeof *selected);
    if (!r.logits || !r.choices || !selected || predict_rows(s, q, r.use, 0, r.n, r.logits)) return FAILED;
    for (size_t i = 0; category && i < r.n; ++i) selected[i] = category[r.use[i]];
    r.rules.query_available = r.candidate;
    r.rules.query_cost = r.c.of_query;
    if (keep_budget(s, r.logits, r.n, &r.rules, &budget_cost)) return FAILED;
    if (locus_rank(s->pool, r.logits, r.n, &r.rules, r.choices, &s->err)) return fail_rank(s);
    how.columns = r.use;
    how.among = r.among;
    how.query_available = r.candidate;
    how.leaders = r.leaders;
    how.leader_count = m;
    how.choices = r.choices;
    if (locus_metrics_compute(&x, r.logits, r.n, &r.scores, &how, NULL, &s->err))
        return fail_library(s, "--scores", o->scores);
    if (compare_to_leader(s, &r) ||
        locus_paired_difference(r.right[0], r.right[1], r.n, 0.9, 0, 0, &right, NULL, &s->err) ||
        locus_paired_difference(r.score[0], r.score[1], r.n, 0.9, 0, 0, &score, NULL, &s->err))
        return fail(s, "%s", s->err.message);
    if ((status = open_frontier(s, &r)) != DONE) return status;
    const char *best_name = locus_pool_model(s->pool, r.leaders[0])->name;
    for (size_t c = 0; c < category_count; ++c)
        if (text_width(names[c]) > width) width = text_width(names[c]);
    if (o->json) {
        json("{'best_single_model':%s,'best_single_chosen_on':%s,'training_queries':%u,", best_name,
             trained ? "train" : "hindsight", trained);
        json("'among':%s,'missing':%d,'left_out':%u,'lambda':%d,'mean_cost':%d,'best_single_mean_cost':%d,",
             r.among == LOCUS_AMONG_SCORED ? "scored" : "all", missing, r.left_out, r.rules.lambda, r.mean_cost[0],
             r.mean_cost[1]);
        json("'overall':{");
        print_metrics_json(&x);
        json(",'difference':{'level':0.9,");
        json_range("hit1", right);
        json(",");
        json_range("score", score);
        json("}");
        print_frontier(s, &r);
        json(",'categories':[");
    } else {
        printf("best single model: ");
        print_text(best_name, 0);
        if (trained) printf(" (chosen on %zu training queries)\n", trained);
        else printf(" (in hindsight: chosen on the queries it is measured on)\n");
        if (r.missing && r.among == LOCUS_AMONG_SCORED)
            printf("%.1f %% of the scores are missing: a query's candidates are the models that have one; the best "
                   "single model is "
                   "the best of these\n",
                   100.0 * missing);
        else if (r.missing) printf("%.1f %% of the scores are missing: each counts as a miss\n", 100.0 * missing);
        if (r.left_out) printf("%zu queries without a candidate are left out\n", r.left_out);
        print_cost_notes(s, &r.c);
        if (o->budget >= 0.0)
            printf("lambda %g keeps the mean cost at %g (budget %g)\n", r.rules.lambda, budget_cost, o->budget);
        if (r.rules.guard == LOCUS_GUARD_GIVEN) {
            size_t kept = 0;
            for (size_t i = 0; i < r.n; ++i) kept += r.choices[i].rule == LOCUS_RULE_DEFAULT_KEPT;
            printf("guard: ");
            print_text(locus_pool_model(s->pool, r.rules.default_model)->name, 0);
            printf(" stays unless another gains more than %g: on %.1f %% of the queries\n", r.rules.margin,
                   100.0 * (double)kept / (double)r.n);
        }
        printf("\n%*s  %7s  %-30s  %-14s", width, "", "", "answered right, %", "any of, %");
        if (graded) printf("  %-30s", "mean score, %");
        printf("  %-8s\n", "right, %");
        print_text("", width);
        printf("  %7s  %6s  %6s  %6s  %6s  %6s  %6s", "queries", "hit@1", "single", "random", "oracle", "hit@3",
               "hit@5");
        if (graded) printf("  %6s  %6s  %6s  %6s", "router", "single", "random", "oracle");
        printf("  %8s  %6s  %6s  %6s  %6s  %6s\n", "predict", "BCE", "Brier", "AUC", "ECE", "models");
        print_metrics("overall", width, &x, graded);
    }
    int first = 1;
    how.select = selected;
    for (size_t c = 0; c < category_count; ++c) {
        how.value = (int32_t)c;
        if (locus_metrics_compute(&x, r.logits, r.n, &r.scores, &how, NULL, &s->err))
            return fail_library(s, "--scores", o->scores);
        if (x.queries == 0) continue;
        if (o->json) {
            json("%c\n{'category':%s,", !first, names[c]);
            print_metrics_json(&x);
        } else {
            print_metrics(names[c], width, &x, graded);
        }
        first = 0;
    }
    if (o->json) {
        json("]}\n");
        return DONE;
    }
    print_interval("\nrouter less best single model: ", right, " points answered right");
    if (graded) print_interval(", ", score, " of mean score");
    printf(", 90 %% interval over queries\n");
    if (is_finite(r.mean_cost[0]) && (r.mean_cost[0] > 0.0 || r.mean_cost[1] > 0.0))
        printf("mean cost: router %.6g, best single model %s\n", r.mean_cost[0], cost_text(found, r.mean_cost[1]));
    print_frontier(s, &r);
    return DONE;
}

static const flag eval_flags[] = {
    {"--net", "NET.safetensors", TEXT, AT(net), 0, "the net"},
    {"--pool", "POOL.safetensors|Z.npy", TEXT, AT(pool), 0, "the models' embeddings"},
    {"--router", "ROUTER.safetensors", TEXT, AT(router), 0, "one file that holds both (in place of --net and --pool)"},
    {"--encodings", "Q.npy", TEXT, AT(encodings), 0, "query encodings [n, q_dim]"},
    {"--text", "Q.jsonl", TEXT, AT(text_file), 0, "in their place the queries' words, for a net that reads text"},
    {"--scores", "Y.npy", TEXT, AT(scores), 1, "[models, n]: u1 with 255 = missing, or float with NaN = missing"},
    {"--models", "MODELS.csv", TEXT, AT(models), 0, "names of the rows of --scores: match the pool by name"},
    {"--model-rows", "IDX.npy", TEXT, AT(model_rows), 0, "the rows of --scores that belong to the pool's models"},
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
    {"--json", "", SWITCH, AT(json), 0, "as JSON"},
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
