// SPDX-License-Identifier: MIT
// locus route: the model for each query.

#include "locus_tool.h"

static const char *const rule_name[] = {"best", "beat-default", "default-kept", "default-excluded"};
enum { RULES = sizeof rule_name / sizeof *rule_name };

// "A:B", "A:" or ":B": rows A to B - 1 of n.
static void read_rows(size_t n, size_t *first, size_t *end)
{
    const char *value = opt.rows, *colon = value ? strchr(value, ':') : NULL;
    *first = 0;
    *end = n;
    if (!value) return;
    if (!colon) misuse("--rows: expected A:B, found \"%s\"", value);
    const char *from = phrase("%.*s", (int)(colon - value), value);
    if ((*from && !read_count(from, first)) || (colon[1] && !read_count(colon + 1, end)) || *first > *end)
        misuse("--rows: expected A:B with A up to B, found \"%s\"", value);
    if (*end > n) fail("--rows %s: --encodings has %zu rows", value, n);
}

// --texts: one line for each of n queries, printable as it stands.
static const char *const *load_texts(size_t n)
{
    char **lines = read_lines("--texts", opt.texts, n, "lines");
    for (size_t i = 0; i < n; ++i)
        for (char *c = lines[i]; *c; ++c)
            if (iscntrl((unsigned char)*c)) *c = ' ';
    return (const char *const *)lines;
}

// ------------------------------------------------------------------------------------------------------------- choices

typedef struct routed { // queries first to first + n - 1, and `top` choices for each
    const locus_choice *choices;
    size_t first, n, top;
    const char *const *texts; // NULL: not known
} routed;

static void show_choice(const locus_choice *c, const char *query, size_t rank, int width)
{
    const char *name = model_name(c->model);
    const double p = (double)c->probability;
    if (opt.json)
        json("{'model':%s,'index':%u,'probability':%f,'logit':%f,'cost':%d,'utility':%d}", name, c->model, p,
             (double)c->logit, c->cost, c->utility);
    else
        say("%7s  %4z  %-*t  %5.1f %%  %10.6g  %10.4f%s%s\n", rank > 1 ? "" : query, rank, width, name, 100.0 * p,
            c->cost, c->utility, rank > 1 ? "" : "  ", rank > 1 ? "" : rule_name[c->rule]);
}

static void show_choices(const routed *r)
{
    const int width = longest_name();
    if (opt.json) json("'choices':[");
    else say("%7s  %4s  %-*t  %7s  %10s  %10s  %s\n", "query", "rank", width, "model", "p", "cost", "utility", "rule");
    for (size_t i = 0; i < r->n; ++i) {
        const locus_choice *c = r->choices + i * r->top;
        const char *query = phrase("%zu", r->first + i);
        if (opt.json) json("\n{'query':%r,'rule':%s,'ranked':[", query, rule_name[c->rule]);
        else if (r->texts) say("\n%s\n", r->texts[r->first + i]);
        for (size_t k = 0; k < r->top && c[k].model != SIZE_MAX; ++k) show_choice(&c[k], query, k + 1, width);
        if (opt.json) json("]}");
    }
    if (opt.json) json("]}\n");
}

// --------------------------------------------------------------------------------------------------------------- tally

typedef struct tally { // of first choices
    size_t index, count;
    double probability, cost; // sums
} tally;

static int by_count(const void *a, const void *b)
{
    const tally *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

// Of all models, the most chosen first; *all <- of all together.
static tally *count_choices(const routed *r, tally *all, size_t rules[RULES])
{
    const size_t m = locus_pool_count(tool.pool);
    tally *t = take(m, sizeof *t);
    for (size_t i = 0; i < m; ++i) t[i].index = i;
    for (size_t i = 0; i < r->n; ++i) {
        const locus_choice *c = r->choices + i * r->top;
        tally *of[2] = {&t[c->model], all};
        for (int k = 0; k < 2; ++k) {
            of[k]->count++;
            of[k]->probability += (double)c->probability;
            of[k]->cost += c->cost; // one unknown cost and the mean is unknown
        }
        rules[c->rule]++;
    }
    qsort(t, m, sizeof *t, by_count);
    return t;
}

// Shares of the models among the first choices, their means, and which rules decided.
static void show_tally(const routed *r, int guarded)
{
    const size_t m = locus_pool_count(tool.pool);
    const double share = r->n ? 1.0 / (double)r->n : 0.0;
    const int width = longest_name();
    size_t rules[RULES] = {0};
    tally all = {0};
    const tally *t = count_choices(r, &all, rules);
    if (opt.json) {
        json("'mean_probability':%d,'mean_cost':%d,'rules':{", all.probability * share, all.cost * share);
        for (int k = 0; k < RULES; ++k) json("%s:%u", rule_name[k], rules[k]);
        json("},'models':[");
    } else {
        say("%z queries, mean p %.1f %%, mean cost %.6g\n\n", r->n, 100.0 * all.probability * share, all.cost * share);
        say("%-*t  %8s  %7s  %7s  %10s\n", width, "model", "queries", "share", "mean p", "cost");
    }
    for (size_t i = 0; i < m && t[i].count; ++i) {
        const double count = (double)t[i].count, p = t[i].probability / count, cost = t[i].cost / count;
        if (opt.json)
            json("{'model':%s,'queries':%u,'mean_probability':%d,'mean_cost':%d}", model_name(t[i].index), t[i].count,
                 p, cost);
        else
            say("%-*t  %8z  %5.1f %%  %5.1f %%  %10.6g\n", width, model_name(t[i].index), t[i].count,
                100.0 * count * share, 100.0 * p, cost);
    }
    if (opt.json) json("]");
    else if (guarded) {
        say("\nrules:");
        for (int k = 0; k < RULES; ++k)
            if (rules[k]) say("  %s %.1f %%", rule_name[k], 100.0 * (double)rules[k] * share);
        say("\n");
    }
}

// ----------------------------------------------------------------------------------------------------------- questions

typedef struct strengths { // --profile and --categories: what models are predicted to answer right
    size_t n;
    categories category;
    const float *logits; // [n, models]; NULL: not given
} strengths;

static strengths load_strengths(void)
{
    strengths x = {0};
    if (!opt.profile != !opt.categories) misuse("--profile and --categories go together");
    if (!opt.profile) return x;
    const locus_queries q = load_queries("--profile", opt.profile);
    x.n = q.count;
    x.category = load_categories(x.n);
    x.logits = predict_logits(&q, 0);
    return x;
}

static void print_strengths(const strengths *x, size_t model)
{
    const size_t m = locus_pool_count(tool.pool);
    const int width = widest(x->category.names, x->category.count, 8);
    say("\n%t by category: predicted share of right answers\n", model_name(model));
    for (size_t c = 0; c < x->category.count; ++c) {
        double p = 0.0, count = 0.0;
        for (size_t i = 0; i < x->n; ++i)
            if (x->category.of[i] == (int32_t)c) {
                p += locus_probability((double)x->logits[i * m + model]);
                count += 1.0;
            }
        p /= count;
        say("  %-*t  %3.0f %%  ", width, x->category.names[c], 100.0 * p);
        for (int k = 0; k < (int)(40.0 * p + 0.5); ++k) putchar('#');
        putchar('\n');
    }
}

// The question of --text, or with "-" the next line of stdin; NULL: there is no more.
static const char *next_question(int asked)
{
    static char line[1 << 16];
    if (strcmp(opt.question, "-") != 0) return asked ? NULL : opt.question;
#if HAVE_POSIX
    if (isatty(fileno(stdin))) fprintf(stderr, "question (empty to end): ");
#endif
    if (!fgets(line, sizeof line, stdin)) return NULL;
    line[strcspn(line, "\r\n")] = '\0';
    return *line ? line : NULL;
}

// Questions in words: encode, predict, rank, show.
static void route_questions(locus_route_opts *rules)
{
    const locus_text *encoder = net_text();
    const strengths shown = load_strengths();
    const size_t m = locus_pool_count(tool.pool);
    float *q = take(tool.info.q_dim, sizeof *q);
    locus_choice *choices = take(rules->top, sizeof *choices);
    const locus_queries one = {.encodings = q, .count = 1, .dim = tool.info.q_dim};
    const routed r = {.choices = choices, .n = 1, .top = rules->top};
    const char *text;
    for (int asked = 0; (text = next_question(asked)) != NULL; asked = 1) {
        const cost_scope scope = {.rows = m, .columns = 1, .n = 1, .texts = &text};
        if (opt.prices) rules->query_cost = load_costs(&scope).of_query;
        must(locus_encode_text(encoder, text, strlen(text), q, NULL, &tool.err));
        must_rank(locus_route(tool.pool, &one, rules, choices, NULL, &tool.quiet, &tool.err));
        if (opt.json) json("{'lambda':%d", rules->lambda);
        else if (asked) say("\n");
        show_choices(&r);
        if (shown.logits && !opt.json) print_strengths(&shown, choices[0].model);
        fflush(stdout);
    }
}

// ------------------------------------------------------------------------------------------------------------- queries

static void route_queries(locus_route_opts *rules)
{
    const size_t m = locus_pool_count(tool.pool);
    locus_queries q = open_queries();
    cost_scope scope = {.rows = m, .columns = q.count};
    size_t end;
    read_rows(q.count, &scope.first, &end);
    if (opt.texts) scope.texts = load_texts(q.count);
    scope.n = end - scope.first;
    const costs c = load_costs(&scope);
    rules->query_cost = c.of_query;
    q.encodings += scope.first * q.dim;
    q.count = scope.n;
    const float *logits = predict_logits(&q, scope.first > 0);
    locus_choice *choices = take(scope.n, rules->top * sizeof *choices);
    const double mean_cost = keep_budget(logits, scope.n, rules);
    must_rank(locus_rank(tool.pool, logits, scope.n, rules, choices, &tool.err));
    const routed r = {.choices = choices, .first = scope.first, .n = scope.n, .top = rules->top, .texts = scope.texts};
    if (opt.json) {
        json("{'queries':%u,'lambda':%d", r.n, rules->lambda);
        show_tally(&r, 0);
        show_choices(&r);
        return;
    }
    print_cost_notes(&c);
    if (opt.budget >= 0.0)
        say("lambda %g keeps the mean cost at %g (budget %g)\n\n", rules->lambda, mean_cost, opt.budget);
    if (r.n <= 20 || opt.all) {
        show_choices(&r);
        return;
    }
    show_tally(&r, rules->guard == LOCUS_GUARD_GIVEN);
    say("\n--all lists every query\n");
}

static void run_route(void)
{
    if (opt.question && (opt.encodings || opt.rows || opt.texts || opt.budget >= 0.0 || opt.costs || opt.tokens_in))
        misuse("--text excludes --encodings, --rows, --texts, --budget, --costs and --tokens-in");
    if ((opt.profile || opt.categories) && !opt.question) misuse("--profile and --categories need a --text");
    check_cost_flags();
    open_net_and_pool();
    if (!opt.question && !opt.encodings) misuse("--encodings Q.npy or --text QUESTION is required: the queries");
    const size_t m = locus_pool_count(tool.pool);
    locus_route_opts rules = read_rules();
    rules.top = opt.top ? opt.top : opt.question ? 5 : 1;
    if (rules.top > m) rules.top = m;
    if (opt.question) route_questions(&rules);
    else route_queries(&rules);
}

static const flag route_flags[] = {
    NET_AND_POOL_FLAGS,
    {"--encodings", "Q.npy", TEXT, AT(encodings), 0, "query encodings [queries, q_dim]"},
    {"--text", "QUESTION|-", TEXT, AT(question), 0,
     "in their place one question in words; -: a question in each line of stdin"},
    {"--profile", "P.npy", TEXT, AT(profile), 0,
     "with --text: encodings of sample queries, to show the winner's strengths"},
    {"--categories", "FILE", TEXT, AT(categories), 0, "category of each row of --profile, one a line"},
    {"--rows", "A:B", TEXT, AT(rows), 0, "route rows A to B - 1 of --encodings only"},
    {"--texts", "FILE", TEXT, AT(texts), 0,
     "the queries' words, one line for each row of --encodings: shown with them"},
    {"--top", "K", COUNT, AT(top), 0, "how many models to rank for each query (default: 1)"},
    COST_FLAGS,
    {"--all", "", SWITCH, AT(all), 0, "list every query, also if there are more than 20"},
    {"--json", "", SWITCH, AT(json), 0, "as JSON, every query"},
    COMMON_FLAGS};

const command route_command = {
    "route", "Choose the model for each query.", route_flags, run_route,
    "Give --net and --pool, or one of them if that file holds both. Equal utilities go to the higher logit, then to "
    "the\n"
    "lower index. Rules: best; default-kept, beat-default (--default); default-excluded (it is unavailable or too "
    "dear).\n" COST_HELP "\n"
    "Example:\n  locus route --router router.safetensors --encodings q.npy --top 3 --default GPT-4o --margin 0.05\n"
    "  locus route --router router.safetensors --text \"Is 2^61 - 1 a prime number?\"\n"};
