// SPDX-License-Identifier: MIT
// What a query costs with each model (--costs; --prices, --tokens-in, --tokens-out), and the rules of `locus route` and
// `locus eval` that use it.

#include "locus_tool.h"

// ----------------------------------------------------------------------------------------------------- table of prices

enum { INPUT_PRICE, OUTPUT_PRICE, QUERY_PRICE, NAME_COLUMN, PRICE_COLUMNS, PRICE_LIKE = PRICE_COLUMNS, OTHER_COLUMN };

#define PRICES_EXPECTED                                                                                                \
    "input and output prices per million tokens (usd_in_per_m, usd_out_per_m; input_price_per_million, ...) or a "     \
    "\"cost\" per query"

// Take every one of the words out of the text.
static void strike(char *text, const char *const *words)
{
    for (; *words; ++words)
        for (char *at = strstr(text, *words); at; at = strstr(at, *words))
            memmove(at, at + strlen(*words), strlen(at + strlen(*words)) + 1);
}

// What a column is, by its name without case, blanks and signs: "usd_in_per_m", "Input price per million tokens",
// "output_cost_per_1M", "cost", ...
static int price_column(const char *header)
{
    static const char *const fillers[] = {"usd", "eur", "price", "cost", "tokens", "token", "per", "of", NULL};
    static const char *const in = "inm|inputm|inmillion|inputmillion|in1m|input1m|promptm|promptmillion|prompt1m|min|"
                                  "minput|millionin|millioninput|1minput|1min";
    static const char *const out = "outm|outputm|outmillion|outputmillion|out1m|output1m|completionm|completionmillion|"
                                   "completion1m|mout|moutput|millionout|millionoutput|1moutput|1mout";
    static const char *const flat = "cost|costperquery|priceperquery|usdperquery|costperrequest|priceperrequest|"
                                    "usdperrequest|querycost|queryprice";
    char name[64], rest[64];
    size_t used = 0;
    for (const char *c = header; *c && used + 1 < sizeof name; ++c)
        if (isalnum((unsigned char)*c)) name[used++] = (char)tolower((unsigned char)*c);
    name[used] = '\0';
    if (find_word("name|model", name) >= 0) return NAME_COLUMN;
    if (find_word(flat, name) >= 0) return QUERY_PRICE;
    strcpy(rest, name);
    strike(rest, fillers);
    if (find_word(in, rest) >= 0) return INPUT_PRICE;
    if (find_word(out, rest) >= 0) return OUTPUT_PRICE;
    int like = strstr(name, "price") || strstr(name, "cost") || strstr(name, "usd") || strstr(name, "eur") ||
               strchr(header, '$') || strstr(name, "pertoken") || strstr(name, "per1k");
    return like ? PRICE_LIKE : OTHER_COLUMN;
}

// at[kind] <- the column that says it, or SIZE_MAX.
static void find_price_columns(const csv *t, size_t at[PRICE_COLUMNS])
{
    for (int k = 0; k < PRICE_COLUMNS; ++k) at[k] = SIZE_MAX;
    for (size_t c = 0; c < t->columns; ++c) {
        int k = price_column(t->header[c]);
        if (k >= PRICE_COLUMNS) continue;
        if (at[k] != SIZE_MAX)
            fail("%s: columns %s and %s say the same: keep one", t->where, t->header[at[k]], t->header[c]);
        at[k] = c;
    }
    int has_in = at[INPUT_PRICE] != SIZE_MAX, has_out = at[OUTPUT_PRICE] != SIZE_MAX;
    if (at[NAME_COLUMN] == SIZE_MAX) fail("%s: expected a header line with a column \"name\"", t->where);
    if (has_in != has_out)
        fail("%s: column %s needs one of the %s price per million tokens beside it", t->where,
             t->header[at[has_in ? INPUT_PRICE : OUTPUT_PRICE]], has_in ? "output" : "input");
}

// Prices of the row; NaN: unknown.
static locus_price read_price(const csv *t, const size_t at[PRICE_COLUMNS])
{
    double v[NAME_COLUMN] = {NAN, NAN, NAN}, unused;
    for (int k = 0; k < NAME_COLUMN; ++k) {
        const char *field = at[k] == SIZE_MAX ? "" : t->field[at[k]];
        if (*field && (!read_number(field, &v[k]) || v[k] < 0.0))
            fail("%s: line %zu: %s: expected a number from 0 or nothing (unknown), found \"%s\"", t->where, t->line,
                 t->header[at[k]], field);
    }
    for (size_t c = 0; c < t->columns; ++c)
        if (price_column(t->header[c]) == PRICE_LIKE && read_number(t->field[c], &unused))
            fail("%s: column %s looks like a price in another form: expected %s", t->where, t->header[c],
                 PRICES_EXPECTED);
    if (is_nan(v[QUERY_PRICE])) return (locus_price){.input = v[INPUT_PRICE], .output = v[OUTPUT_PRICE]};
    if (!is_nan(v[INPUT_PRICE]) || !is_nan(v[OUTPUT_PRICE]))
        fail("%s: line %zu: %s has a cost per query and prices per token: keep one of them", t->where, t->line,
             t->field[at[NAME_COLUMN]]);
    return (locus_price){.query = v[QUERY_PRICE]};
}

// Prices of the pool's models, NaN where the table has none; *by_token <- 1 if tokens matter. `known`: models beside
// the pool's that may be in the table (those of --models).
static locus_price *load_prices(const locus_model *known, size_t known_count, int *by_token)
{
    const size_t m = locus_pool_count(tool.pool);
    locus_price *prices = take(m, sizeof *prices);
    unsigned char *seen = take(m, 1);
    size_t at[PRICE_COLUMNS];
    csv *t = csv_open("--prices", opt.prices);
    find_price_columns(t, at);
    for (size_t i = 0; i < m; ++i) prices[i].input = prices[i].output = prices[i].query = NAN;
    *by_token = 0;
    while (csv_next(t)) {
        const char *name = t->field[at[NAME_COLUMN]];
        const locus_price price = read_price(t, at);
        size_t i = locus_pool_find(tool.pool, name), k = 0;
        if (i == SIZE_MAX) {
            while (k < known_count && strcmp(known[k].name, name) != 0) ++k;
            if (k == known_count) find_model(phrase("%s: line %zu", t->where, t->line), name);
            continue;
        }
        if (seen[i]++) fail("%s: line %zu: the name %s occurs twice", t->where, t->line, name);
        prices[i] = price;
        *by_token |= price.input > 0.0 || price.output > 0.0;
    }
    if (at[INPUT_PRICE] == SIZE_MAX && at[QUERY_PRICE] == SIZE_MAX)
        fail("%s: expected %s, found none of them", t->where, PRICES_EXPECTED);
    return prices;
}

// --------------------------------------------------------------------------------------------------------------- costs

enum { ANSWER_TOKENS = 256 }; // assumed where nobody says

void check_cost_flags(void)
{
    if (opt.costs && opt.prices) misuse("--costs and --prices exclude each other");
    if ((opt.tokens_in || opt.tokens_out) && !opt.prices) misuse("--tokens-in and --tokens-out need --prices");
}

static size_t row_of(const cost_scope *q, size_t model) { return q->model_rows ? q->model_rows[model] : model; }
static size_t query_of(const cost_scope *q, size_t i) { return q->use ? q->use[i] : q->first + i; }

// --costs [models, queries]. A cell may be unknown (NaN) where there is no score.
static void read_costs(const cost_scope *q, double *cost)
{
    const locus_array *a = open_array("--costs", opt.costs, 2, "[models, queries]");
    const size_t m = locus_pool_count(tool.pool);
    if (a->shape[0] != q->rows || a->shape[1] != q->columns)
        fail("--costs %s: expected [%zu, %zu] (%s), found %s", opt.costs, q->rows, q->columns,
             q->scores ? "as --scores" : "the models of the pool, the rows of --encodings", shape_text(a->shape, 2));
    for (size_t i = 0; i < q->n; ++i)
        for (size_t k = 0; k < m; ++k) {
            const size_t query = query_of(q, i);
            const double v = number_at(a, row_of(q, k) * q->columns + query);
            const int unscored = q->scores && is_missing(q->scores, k, query);
            if (is_nan(v) ? !opt.allow_unpriced && !unscored : v < 0.0 || !is_finite(v))
                fail("--costs %s: model %s, query %zu: expected a number from 0, found %g%s", opt.costs, model_name(k),
                     query, v, is_nan(v) ? "; --allow-unpriced takes models of unknown cost" : "");
            cost[i * m + k] = v;
        }
}

// Tokens of each query in use: --tokens-in, else of their texts.
static void read_tokens_in(const cost_scope *q, double *tokens)
{
    const char *path = opt.tokens_in;
    const locus_array *a = path ? open_array("--tokens-in", path, 1, "one number for each query") : NULL;
    if (!a && !q->texts)
        misuse("--prices by token need --tokens-in T.npy (tokens of each query), or the queries' words (--text)");
    if (a && a->count != q->columns)
        fail("--tokens-in %s: expected %zu numbers (the queries), found %zu", path, q->columns, a->count);
    for (size_t i = 0; i < q->n; ++i) {
        const size_t query = query_of(q, i);
        tokens[i] = a ? number_at(a, query) : locus_count_tokens(q->texts[query], strlen(q->texts[query]));
        if (!is_finite(tokens[i]) || tokens[i] < 0.0)
            fail("--tokens-in %s: query %zu: expected a number from 0, found %g", path, query, tokens[i]);
    }
}

// --tokens-out: one number, or a file with one a query, one a model of the pool (row of --scores), or [models,
// queries]. *one: the number, NaN of a file.
static void read_tokens_out(const cost_scope *q, locus_tokens *tokens, double *one)
{
    const char *value = opt.tokens_out;
    const size_t m = locus_pool_count(tool.pool);
    *one = ANSWER_TOKENS;
    tokens->output = one;
    if (!value) return;
    if (!has_ending(value, ".npy")) {
        if (!read_number(value, one) || *one < 0.0)
            misuse("--tokens-out: expected a number from 0 or T.npy, found \"%s\"", value);
        return;
    }
    const locus_array *a = open_any("--tokens-out", value);
    const int whole = a->rank == 2 && a->shape[0] == q->rows && a->shape[1] == q->columns;
    const int by_query = a->rank == 1 && a->shape[0] == q->columns, by_model = a->rank == 1 && a->shape[0] == q->rows;
    if ((!whole && !by_query && !by_model) || (by_query && by_model))
        fail("--tokens-out %s: expected [%zu] (queries), [%zu] (models) or [%zu, %zu], found %s%s", value, q->columns,
             q->rows, q->rows, q->columns, shape_text(a->shape, a->rank), by_query ? ", which may be either" : "");
    double *to = take(whole ? q->n * m : by_query ? q->n : m, sizeof *to);
    for (size_t i = 0; i < (by_model ? 1 : q->n); ++i)
        for (size_t k = 0; k < (by_query ? 1 : m); ++k) {
            const size_t query = query_of(q, i), row = row_of(q, k);
            const double v = number_at(a, whole ? row * q->columns + query : by_query ? query : row);
            if (!is_finite(v) || v < 0.0)
                fail("--tokens-out %s: %s%s%s %zu: expected a number from 0, found %g", value, by_query ? "" : "model ",
                     by_query ? "" : model_name(k), by_query ? "query" : ", query", query, v);
            to[whole ? i * m + k : by_query ? i : k] = v;
        }
    *one = NAN;
    tokens->output = to;
    tokens->query_stride = whole ? m : (size_t)by_query;
    tokens->model_stride = (size_t)(whole || by_model);
}

costs load_costs(const cost_scope *q)
{
    const size_t m = locus_pool_count(tool.pool);
    costs c = {.source = "of the pool's models", .answer_tokens = NAN};
    locus_tokens tokens = {0};
    int by_token = 0;
    if (!opt.costs && !opt.prices) return c;
    c.of_query = take(q->n, m * sizeof *c.of_query);
    if (opt.costs) {
        c.source = "of --costs";
        read_costs(q, c.of_query);
        return c;
    }
    double *in = take(q->n, sizeof *in), one;
    c.prices = load_prices(q->known, q->known ? q->rows : 0, &by_token);
    c.source = "of --prices, per query";
    if (by_token || opt.tokens_in) {
        read_tokens_in(q, in);
        c.source =
            opt.tokens_in ? "of --prices, tokens in of --tokens-in" : "of --prices, tokens in estimated from the text";
    }
    tokens.input = in;
    read_tokens_out(q, &tokens, &one);
    must_file(locus_price_costs(c.prices, m, &tokens, q->n, c.of_query, &tool.err), "--prices", opt.prices);
    if (by_token) c.answer_tokens = one; // else nobody need know
    return c;
}

void print_cost_notes(const costs *c)
{
    size_t unknown = 0;
    for (size_t i = 0; c->prices && i < locus_pool_count(tool.pool); ++i) {
        if (!is_nan(c->prices[i].input + c->prices[i].output + c->prices[i].query)) continue;
        if (unknown < 5) say(unknown ? ", %t" : "no price: %t", model_name(i));
        ++unknown;
    }
    if (unknown > 5) say(" and %z more", unknown - 5);
    if (unknown)
        say(opt.allow_unpriced ? " (allowed: where costs count, as dear as the dearest other)\n"
                               : " (no candidates where costs count; --allow-unpriced)\n");
    if (!is_nan(c->answer_tokens))
        say("%g tokens an answer%s\n", c->answer_tokens, opt.tokens_out ? "" : " assumed: see --tokens-out");
}

// --------------------------------------------------------------------------------------------------------------- rules

locus_route_opts read_rules(void)
{
    const locus_guard guard = locus_pool_get_info(tool.pool).guard;
    locus_route_opts rules = {0};
    if (opt.lambda >= 0.0 && opt.budget >= 0.0) misuse("--lambda and --budget exclude each other");
    if (opt.no_default && (opt.default_model || opt.margin >= 0.0))
        misuse("--no-default excludes --default and --margin");
    if (opt.margin >= 0.0 && !opt.default_model && guard.model == SIZE_MAX)
        misuse("--margin needs a --default: the pool has none");
    if (locus_pool_count(tool.pool) == 0) fail("the pool is empty");
    if (opt.available) rules.available = read_available();
    if (opt.no_default) rules.guard = LOCUS_GUARD_NONE;
    if (opt.default_model) {
        rules.guard = LOCUS_GUARD_GIVEN;
        rules.default_model = find_model("--default", opt.default_model);
        if (opt.margin > 0.0) rules.margin = opt.margin;
    } else if (guard.model != SIZE_MAX && !opt.no_default) { // the pool's, perhaps with another margin
        rules.guard = LOCUS_GUARD_GIVEN;
        rules.default_model = guard.model;
        rules.margin = opt.margin >= 0.0 ? opt.margin : guard.margin;
    }
    if (opt.max_cost >= 0.0) rules.max_cost = opt.max_cost > 0.0 ? opt.max_cost : DBL_MIN; // 0 means no limit there
    if (opt.lambda > 0.0) rules.lambda = opt.lambda;
    if (opt.allow_unpriced) rules.unpriced = LOCUS_UNPRICED_ALLOW;
    return rules;
}

double keep_budget(const float *logits, size_t n, locus_route_opts *rules)
{
    double mean_cost = NAN;
    if (opt.budget < 0.0) return mean_cost;
    if (locus_lambda_for_budget(tool.pool, logits, n, opt.budget, rules, &rules->lambda, &mean_cost, &tool.err))
        fail("--budget %g: %s", opt.budget, tool.err.message);
    if (rules->unpriced == LOCUS_UNPRICED_AUTO) rules->unpriced = LOCUS_UNPRICED_REFUSE;
    return mean_cost;
}

void must_rank(locus_status status)
{
    if (status)
        fail("%s%s", tool.err.message,
             tool.err.status == LOCUS_ERR_NO_CANDIDATE && !opt.allow_unpriced &&
                     (opt.lambda > 0.0 || opt.max_cost >= 0.0 || opt.budget >= 0.0)
                 ? "; --allow-unpriced takes models of unknown cost"
                 : "");
}
