// SPDX-License-Identifier: MIT
// locus route: the model for each query.

#include "locus_tool.h"

// "A:B", "A:" or ":B": rows A to B - 1 of n.
static int read_rows(session *s, size_t n, size_t *first, size_t *end)
{
    char text[64];
    const char *value = s->opt.rows, *colon = value ? strchr(value, ':') : NULL;
    *first = 0;
    *end = n;
    if (!value) return DONE;
    size_t length = colon ? (size_t)(colon - value) : 0;
    if (!colon || length >= sizeof text) return misuse(s, "--rows: expected A:B, found \"%s\"", value);
    memcpy(text, value, length);
    text[length] = '\0';
    if ((*text && !read_count(text, first)) || (colon[1] && !read_count(colon + 1, end)) || *first > *end)
        return misuse(s, "--rows: expected A:B with A up to B, found \"%s\"", value);
    if (*end > n) return fail(s, "--rows %s: --encodings has %zu rows", value, n);
    return DONE;
}

typedef struct tally { // of first choices
    size_t index, count;
    double probability, cost;
} tally;

static int by_count(const void *a, const void *b)
{
    const tally *x = (const tally *)a, *y = (const tally *)b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void print_choices_json(const session *s, const locus_choice *choices, size_t first, size_t n, size_t top)
{
    json(",'choices':[");
    for (size_t i = 0; i < n; ++i) {
        const locus_choice *c = choices + i * top;
        json("%c\n{'query':%u,'rule':%s,'ranked':[", i > 0, first + i, locus_rule_name(c->rule));
        for (size_t k = 0; k < top && c[k].model != SIZE_MAX; ++k)
            json("%c{'model':%s,'index':%u,'probability':%f,'logit':%f,'cost':%d,'utility':%d}", k > 0,
                 locus_pool_model(s->pool, c[k].model)->name, c[k].model, (double)c[k].probability, (double)c[k].logit,
                 c[k].cost, c[k].utility);
        json("]}");
    }
    json("]}\n");
}

static void print_choices(const session *s, const locus_choice *choices, const char *const *texts, size_t first,
                          size_t n, size_t top)
{
    int width = longest_name(s);
    printf("%7s  %4s  ", "query", "rank");
    print_text("model", width);
    printf("  %7s  %10s  %10s  %s\n", "p", "cost", "utility", "rule");
    for (size_t i = 0; i < n; ++i) {
        if (texts) printf("\n%s\n", texts[first + i]);
        for (size_t k = 0; k < top && choices[i * top + k].model != SIZE_MAX; ++k) {
            const locus_choice *c = &choices[i * top + k];
            char cost[32];
            if (k == 0) printf("%7zu  %4d  ", first + i, 1);
            else printf("%7s  %4zu  ", "", k + 1);
            print_text(locus_pool_model(s->pool, c->model)->name, width);
            printf("  %5.1f %%  %10s  %10.4f%s%s\n", 100.0 * (double)c->probability, cost_text(cost, c->cost),
                   c->utility, k ? "" : "  ", k ? "" : locus_rule_name(c->rule));
        }
    }
}

// Shares of the models among the first choices, their means, and which rules decided.
static int print_tally(session *s, const locus_choice *choices, size_t n, size_t top, int guarded)
{
    size_t m = locus_pool_count(s->pool), rules[4] = {0, 0, 0, 0};
    double p = 0.0, cost = 0.0, share = n ? 1.0 / (double)n : 0.0;
    char text[32];
    int width = longest_name(s);
    tally *t = (tally *)take(s, m, sizeof *t);
    if (!t) return FAILED;
    for (size_t i = 0; i < m; ++i) t[i].index = i;
    for (size_t i = 0; i < n; ++i) {
        const locus_choice *c = choices + i * top;
        t[c->model].count++;
        t[c->model].probability += (double)c->probability;
        p += (double)c->probability;
        t[c->model].cost += c->cost; // one unknown cost and the mean is unknown
        cost += c->cost;
        rules[c->rule]++;
    }
    qsort(t, m, sizeof *t, by_count);
    if (s->opt.json) {
        json(",'mean_probability':%d,'mean_cost':%d,'rules':{", p * share, cost * share);
        for (int r = 0; r < 4; ++r) json("%c%s:%u", r, locus_rule_name((locus_rule)r), rules[r]);
        json("},'models':[");
        for (size_t i = 0; i < m && t[i].count; ++i)
            json("%c{'model':%s,'queries':%u,'mean_probability':%d,'mean_cost':%d}", i > 0,
                 locus_pool_model(s->pool, t[i].index)->name, t[i].count, t[i].probability / (double)t[i].count,
                 t[i].cost / (double)t[i].count);
        json("]");
        return DONE;
    }
    printf("%zu queries, mean p %.1f %%, mean cost %s\n\n", n, 100.0 * p * share, cost_text(text, cost * share));
    print_text("model", width);
    printf("  %8s  %7s  %7s  %10s\n", "queries", "share", "mean p", "cost");
    for (size_t i = 0; i < m && t[i].count; ++i) {
        print_text(locus_pool_model(s->pool, t[i].index)->name, width);
        printf("  %8zu  %5.1f %%  %5.1f %%  %10s\n", t[i].count, 100.0 * (double)t[i].count * share,
               100.0 * t[i].probability / (double)t[i].count, cost_text(text, t[i].cost / (double)t[i].count));
    }
    if (guarded) {
        printf("\nrules:");
        for (int r = 0; r < 4; ++r)
            if (rules[r]) printf("  %s %.1f %%", locus_rule_name((locus_rule)r), 100.0 * (double)rules[r] * share);
        putchar('\n');
    }
    return DONE;
}

// --profile and --categories: what the winner is predicted to answer right in each category.
static int print_profile(session *s, size_t model, size_t category_count, const char *const *names,
                         const int32_t *category, const float *logits, size_t n)
{
    size_t m = locus_pool_count(s->pool);
    int width = 8;
    printf("\n");
    print_text(locus_pool_model(s->pool, model)->name, 0);
    printf(" by category: predicted share of right answers\n");
    for (size_t c = 0; c < category_count; ++c)
        if (text_width(names[c]) > width) width = text_width(names[c]);
    for (size_t c = 0; c < category_count; ++c) {
        double p = 0.0, count = 0.0;
        for (size_t i = 0; i < n; ++i)
            if (category[i] == (int32_t)c) {
                p += locus_probability((double)logits[i * m + model]);
                count += 1.0;
            }
        if (count < 1.0) continue;
        p /= count;
        printf("  ");
        print_text(names[c], width);
        printf("  %3.0f %%  ", 100.0 * p);
        for (int k = 0; k < (int)(40.0 * p + 0.5); ++k) putchar('#');
        putchar('\n');
    }
    return DONE;
}

// Questions in words, one or a line each of stdin: encode, predict, rank, show.
static int route_questions(session *s, locus_route_opts *opts, size_t top)
{
    const options *o = &s->opt;
    const locus_text *encoder = net_text(s);
    const locus_array *shown = NULL;
    const char **names = NULL;
    int32_t *category = NULL;
    size_t m = locus_pool_count(s->pool), categories = 0;
    float *shown_logits = NULL;
    static char line[1 << 16];
    if (!encoder) return FAILED;
    if (!o->profile != !o->categories) return misuse(s, "--profile and --categories go together");
    if (o->profile) {
        char meaning[80], found[240];
        snprintf(meaning, sizeof meaning, "[queries, %zu]", s->info.q_dim);
        if (open_array(s, "--profile", o->profile, 2, meaning, &shown)) return FAILED;
        if (shown->shape[1] != s->info.q_dim)
            return fail(s, "--profile %s: expected %s, found %s", o->profile, meaning,
                        shape_text(shown->shape, 2, found));
        shown_logits = (float *)take(s, shown->shape[0], m * sizeof *shown_logits);
        if (!shown_logits || load_categories(s, shown->shape[0], &category, &names, &categories) ||
            predict_rows(s, shown, NULL, 0, shown->shape[0], shown_logits))
            return FAILED;
    }
    size_t bytes = locus_route_workspace(s->pool, 1, opts);
    float *q = (float *)take(s, s->info.q_dim, sizeof *q);
    void *work = take(s, bytes, 1);
    locus_choice *choices = (locus_choice *)take(s, top, sizeof *choices);
    locus_queries one;
    if (!q || !work || !choices) return FAILED;
    memset(&one, 0, sizeof one);
    one.encodings = q;
    one.count = 1;
    one.dim = s->info.q_dim;
    costs c;
    memset(&c, 0, sizeof c);
    int from_stdin = strcmp(o->question, "-") == 0, first = 1, status;
    for (;;) {
        const char *text = o->question;
        size_t length = strlen(text);
        if (from_stdin) {
#if HAVE_POSIX
            if (isatty(fileno(stdin))) fprintf(stderr, "question (empty to end): ");
#endif
            if (!fgets(line, sizeof line, stdin)) break;
            length = strcspn(line, "\r\n");
            if (length == 0) break;
            text = line;
        }
        line[text == line ? length : 0] = '\0'; // the text ends there
        if (o->prices && (status = load_costs(s, NULL, NULL, m, 1, NULL, 0, 1, &text, NULL, &c)) != DONE) return status;
        opts->query_cost = c.of_query;
        if (locus_encode_text(encoder, text, length, q, NULL, &s->err)) return fail(s, "%s", s->err.message);
        if (locus_route(s->pool, &one, opts, choices, NULL, work, bytes, &s->err)) return fail_rank(s);
        if (o->json) {
            json("{'lambda':%d", opts->lambda);
            print_choices_json(s, choices, 0, 1, top);
        } else {
            if (!first) putchar('\n');
            print_choices(s, choices, NULL, 0, 1, top);
            if (shown) print_profile(s, choices[0].model, categories, names, category, shown_logits, shown->shape[0]);
        }
        fflush(stdout);
        first = 0;
        if (!from_stdin) break;
    }
    return DONE;
}

static int run_route(session *s)
{
    const options *o = &s->opt;
    const locus_array *q = NULL;
    const char **texts = NULL;
    size_t first = 0, end = 0, top = o->top ? o->top : 1;
    double mean_cost = 0.0;
    costs c;
    locus_route_opts opts;
    memset(&opts, 0, sizeof opts);
    if (o->question && (o->encodings || o->rows || o->texts || o->budget >= 0.0 || o->costs || o->tokens_in))
        return misuse(s, "--text excludes --encodings, --rows, --texts, --budget, --costs and --tokens-in");
    if ((o->profile || o->categories) && !o->question) return misuse(s, "--profile and --categories need a --text");
    int status = check_cost_flags(s);
    if (status || (status = open_net_and_pool(s, 1)) != DONE) return status;
    if (!o->question) {
        if (!o->encodings) return misuse(s, "--encodings Q.npy or --text QUESTION is required: the queries");
        if ((status = open_encodings(s, &q)) != DONE) return status;
        if ((status = read_rows(s, q->shape[0], &first, &end)) != DONE) return status;
        if (o->texts && load_texts(s, q->shape[0], &texts)) return FAILED;
    } else if (!o->top) top = 5;
    size_t n = end - first, m = locus_pool_count(s->pool);
    if ((status = read_rules(s, &opts)) != DONE) return status;
    if (top > m) top = m;
    opts.top = top;
    if (start_threads(s)) return FAILED;
    if (o->question) return route_questions(s, &opts, top);
    if ((status = load_costs(s, NULL, NULL, m, q->shape[0], NULL, first, n, texts, NULL, &c)) != DONE) return status;
    opts.query_cost = c.of_query;
    float *logits = (float *)take(s, n, m * sizeof *logits);
    locus_choice *choices = (locus_choice *)take(s, n, top * sizeof *choices);
    if (!logits || !choices || predict_rows(s, q, NULL, first, n, logits)) return FAILED;
    if (keep_budget(s, logits, n, &opts, &mean_cost)) return FAILED;
    if (locus_rank(s->pool, logits, n, &opts, choices, &s->err)) return fail_rank(s);
    if (o->json) {
        json("{'queries':%u,'lambda':%d", n, opts.lambda);
        if (print_tally(s, choices, n, top, 0)) return FAILED;
        print_choices_json(s, choices, first, n, top);
        return DONE;
    }
    print_cost_notes(s, &c);
    if (o->budget >= 0.0)
        printf("lambda %g keeps the mean cost at %g (budget %g)\n\n", opts.lambda, mean_cost, o->budget);
    if (n <= 20 || o->all) print_choices(s, choices, texts, first, n, top);
    else status = print_tally(s, choices, n, top, opts.guard == LOCUS_GUARD_GIVEN);
    if (n > 20 && !o->all && !status) printf("\n--all lists every query\n");
    return status;
}

static const flag route_flags[] = {
    {"--net", "NET.safetensors", TEXT, AT(net), 0, "the net"},
    {"--pool", "POOL.safetensors|Z.npy", TEXT, AT(pool), 0, "the models' embeddings"},
    {"--router", "ROUTER.safetensors", TEXT, AT(router), 0, "one file that holds both (in place of --net and --pool)"},
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
