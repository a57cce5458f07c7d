// SPDX-License-Identifier: MIT
// What a query costs with each model (--costs; --prices, --tokens-in, --tokens-out), and the rules of `locus route` and
// `locus eval` that use it.

#include "locus_tool.h"

enum { INPUT_PRICE, OUTPUT_PRICE, QUERY_PRICE, PRICE_KINDS, NAME_COLUMN, PRICE_LIKE, OTHER_COLUMN };

// Take every `word` out of the text.
static void strike(char *text, const char *word)
{
    for (char *at = strstr(text, word); at; at = strstr(at, word))
        memmove(at, at + strlen(word), strlen(at + strlen(word)) + 1);
}

static int is_one_of(const char *text, const char *const *words)
{
    for (; *words; ++words)
        if (strcmp(text, *words) == 0) return 1;
    return 0;
}

// What a column of --prices is, by its name without case, blanks and signs: "usd_in_per_m", "Input price per million
// tokens", "output_cost_per_1M", "cost", ...
static int price_column(const char *header)
{
    static const char *const fillers[] = {"usd", "eur", "price", "cost", "tokens", "token", "per", "of", "a", NULL};
    static const char *const in[] = {
        "inm",      "inputm", "inmillion", "inputmillion", "in1m",         "input1m", "promptm", "promptmillion",
        "prompt1m", "min",    "minput",    "millionin",    "millioninput", "1minput", "1min",    NULL};
    static const char *const out[] = {"outm",          "outputm",  "outmillion",  "outputmillion",
                                      "out1m",         "output1m", "completionm", "completionmillion",
                                      "completion1m",  "mout",     "moutput",     "millionout",
                                      "millionoutput", "1moutput", "1mout",       NULL};
    static const char *const flat[] = {
        "cost",          "costperquery", "priceperquery", "usdperquery", "costperrequest", "priceperrequest",
        "usdperrequest", "querycost",    "queryprice",    NULL};
    char name[64], rest[64];
    size_t used = 0;
    for (const char *c = header; *c && used + 1 < sizeof name; ++c)
        if (isalnum((unsigned char)*c)) name[used++] = (char)tolower((unsigned char)*c);
    name[used] = '\0';
    if (strcmp(name, "name") == 0 || strcmp(name, "model") == 0) return NAME_COLUMN;
    if (is_one_of(name, flat)) return QUERY_PRICE;
    int like = strstr(name, "price") || strstr(name, "cost") || strstr(name, "usd") || strstr(name, "eur") ||
               strchr(header, '$') || strstr(name, "pertoken") || strstr(name, "per1k");
    strcpy(rest, name);
    for (int k = 0; fillers[k]; ++k)
        if (strlen(fillers[k]) > 1) strike(rest, fillers[k]);
    if (is_one_of(rest, in)) return INPUT_PRICE;
    if (is_one_of(rest, out)) return OUTPUT_PRICE;
    return like ? PRICE_LIKE : OTHER_COLUMN;
}

// --prices: prices[m] of the pool's models, NaN where the table has none; *by_token <- 1 if tokens matter. `known`:
// models beside the pool's that may be in the table (those of --models).
static int load_prices(session *s, const locus_model *known, size_t known_count, locus_price *prices, int *by_token)
{
    enum { COLUMNS = 256 };
    static const char *const flat_or_token = "input and output prices per million tokens (usd_in_per_m, usd_out_per_m; "
                                             "input_price_per_million, ...) or a \"cost\" per query";
    const char *path = s->opt.prices;
    size_t m = locus_pool_count(s->pool), columns = 0, line = 1, at[NAME_COLUMN + 1];
    signed char role[COLUMNS];
    char *text = NULL, *field = NULL, end, *header[COLUMNS];
    unsigned char *seen = (unsigned char *)take(s, m, 1);
    *by_token = 0;
    if (!seen || read_text(s, "--prices", path, &text)) return FAILED;
    for (size_t i = 0; i < m; ++i) prices[i].input = prices[i].output = prices[i].query = NAN;
    for (int k = 0; k <= NAME_COLUMN; ++k) at[k] = SIZE_MAX;
    do {
        end = csv_field(&text, &field, &line);
        if (!end || columns == COLUMNS) return fail(s, "--prices %s: the header line is malformed", path);
        int r = price_column(field);
        if (r <= NAME_COLUMN && r != PRICE_KINDS) {
            if (at[r] != SIZE_MAX)
                return fail(s, "--prices %s: columns %s and %s say the same: keep one", path, header[at[r]], field);
            at[r] = columns;
        }
        role[columns] = (signed char)r;
        header[columns++] = field;
    } while (end == ',');
    if (at[NAME_COLUMN] == SIZE_MAX) return fail(s, "--prices %s: expected a header line with a column \"name\"", path);
    if ((at[INPUT_PRICE] == SIZE_MAX) != (at[OUTPUT_PRICE] == SIZE_MAX))
        return fail(s, "--prices %s: column %s needs one of the %s price per million tokens beside it", path,
                    header[at[at[INPUT_PRICE] == SIZE_MAX ? OUTPUT_PRICE : INPUT_PRICE]],
                    at[INPUT_PRICE] == SIZE_MAX ? "input" : "output");
    while (*text) {
        size_t here = line, c = 0;
        const char *name = "", *word[PRICE_KINDS] = {"", "", ""};
        double v[PRICE_KINDS] = {NAN, NAN, NAN}, unused;
        do {
            end = csv_field(&text, &field, &line);
            if (!end) return fail(s, "--prices %s: line %zu: a quote is out of place", path, here);
            if (c == 0 && end == '\n' && *field == '\0') break; // an empty line
            if (c == columns)
                return fail(s, "--prices %s: line %zu: expected %zu fields, found more", path, here, columns);
            int r = role[c];
            if (r == NAME_COLUMN) name = field;
            else if (r < PRICE_KINDS && *field) {
                word[r] = field;
                if (!read_number(field, &v[r]) || v[r] < 0.0)
                    return fail(
                        s, "--prices %s: line %zu: %s: expected a number from 0 or nothing (unknown), found \"%s\"",
                        path, here, header[c], field);
            } else if (r == PRICE_LIKE && read_number(field, &unused))
                return fail(s, "--prices %s: column %s looks like a price in another form: expected %s", path,
                            header[c], flat_or_token);
            ++c;
        } while (end == ',');
        if (c == 0) continue;
        if (c != columns)
            return fail(s, "--prices %s: line %zu: expected %zu fields, found %zu", path, here, columns, c);
        size_t i = locus_pool_find(s->pool, name), k = 0;
        if (i == SIZE_MAX) {
            while (k < known_count && strcmp(known[k].name, name) != 0) ++k;
            if (k < known_count) continue;
            char where[4200];
            snprintf(where, sizeof where, "--prices %.4000s: line %zu", path, here);
            return fail_name(s, where, name);
        }
        if (seen[i]++) return fail(s, "--prices %s: line %zu: the name %s occurs twice", path, here, name);
        if (*word[QUERY_PRICE] && (*word[INPUT_PRICE] || *word[OUTPUT_PRICE]))
            return fail(s, "--prices %s: line %zu: %s has a cost per query and prices per token: keep one of them",
                        path, here, name);
        if (*word[QUERY_PRICE]) {
            prices[i].input = prices[i].output = 0.0;
            prices[i].query = v[QUERY_PRICE];
        } else {
            prices[i].input = v[INPUT_PRICE];
            prices[i].output = v[OUTPUT_PRICE];
            prices[i].query = 0.0;
            if (v[INPUT_PRICE] > 0.0 || v[OUTPUT_PRICE] > 0.0) *by_token = 1;
        }
    }
    if (at[INPUT_PRICE] == SIZE_MAX && at[QUERY_PRICE] == SIZE_MAX)
        return fail(s, "--prices %s: expected %s, found none of them", path, flat_or_token);
    return DONE;
}

enum { ANSWER_TOKENS = 256 }; // assumed where nobody says

int check_cost_flags(session *s)
{
    const options *o = &s->opt;
    if (o->costs && o->prices) return misuse(s, "--costs and --prices exclude each other");
    if ((o->tokens_in || o->tokens_out) && !o->prices) return misuse(s, "--tokens-in and --tokens-out need --prices");
    return DONE;
}

// --costs [models, queries]: model_rows[m] is the row of the pool's model m (NULL: m), rows the number of rows it must
// have; use[n] the columns (NULL: from `first`) of `columns`. A cell may be unknown (NaN) where there is no score.
static int read_costs(session *s, const size_t *model_rows, size_t rows, size_t columns, const size_t *use,
                      size_t first, size_t n, const grades *scores, double *cost)
{
    const char *path = s->opt.costs;
    const locus_array *a = NULL;
    size_t m = locus_pool_count(s->pool);
    char found[240];
    if (open_array(s, "--costs", path, 2, "[models, queries]", &a)) return FAILED;
    if (a->shape[0] != rows || a->shape[1] != columns)
        return fail(s, "--costs %s: expected [%zu, %zu] (%s), found %s", path, rows, columns,
                    scores ? "as --scores" : "the models of the pool, the rows of --encodings",
                    shape_text(a->shape, 2, found));
    for (size_t i = 0; i < n; ++i)
        for (size_t k = 0; k < m; ++k) {
            size_t query = use ? use[i] : first + i;
            double v = number_at(a, (model_rows ? model_rows[k] : k) * columns + query);
            if (is_nan(v) ? !s->opt.allow_unpriced && !(scores && is_missing(scores, k, query))
                          : v < 0.0 || !is_finite(v))
                return fail(s, "--costs %s: model %s, query %zu: expected a number from 0, found %g%s", path,
                            locus_pool_model(s->pool, k)->name, query, v,
                            is_nan(v) ? "; --allow-unpriced takes models of unknown cost" : "");
            cost[i * m + k] = v;
        }
    return DONE;
}

// Tokens of each of the n queries in use: --tokens-in, else of their texts.
static int read_tokens_in(session *s, size_t columns, const size_t *use, size_t first, size_t n,
                          const char *const *texts, double *tokens)
{
    const char *path = s->opt.tokens_in;
    const locus_array *a = NULL;
    if (!path && !texts)
        return misuse(
            s, "--prices by token need --tokens-in T.npy (tokens of each query), or the queries' words (--text)");
    if (path) {
        if (open_array(s, "--tokens-in", path, 1, "one number for each query", &a)) return FAILED;
        if (a->count != columns)
            return fail(s, "--tokens-in %s: expected %zu numbers (the queries), found %zu", path, columns, a->count);
    }
    for (size_t i = 0; i < n; ++i) {
        size_t query = use ? use[i] : first + i;
        tokens[i] = a ? number_at(a, query) : locus_count_tokens(texts[query], strlen(texts[query]));
        if (!is_finite(tokens[i]) || tokens[i] < 0.0)
            return fail(s, "--tokens-in %s: query %zu: expected a number from 0, found %g", path, query, tokens[i]);
    }
    return DONE;
}

// --tokens-out: one number, or a file with one a query, one a model of the pool (row of --scores), or [models,
// queries].
static int read_tokens_out(session *s, const size_t *model_rows, size_t rows, size_t columns, const size_t *use,
                           size_t first, size_t n, locus_tokens *tokens, double *one)
{
    const char *value = s->opt.tokens_out;
    const locus_array *a = NULL;
    size_t m = locus_pool_count(s->pool);
    char found[240];
    *one = ANSWER_TOKENS;
    tokens->output = one;
    if (!value) return DONE;
    if (!has_ending(value, ".npy")) {
        if (read_number(value, one) && *one >= 0.0) return DONE;
        return misuse(s, "--tokens-out: expected a number from 0 or T.npy, found \"%s\"", value);
    }
    a = &s->arrays[s->array_count];
    if (locus_npy_open(&s->arrays[s->array_count], value, &s->err)) return fail_library(s, "--tokens-out", value);
    ++s->array_count;
    *one = NAN;
    int whole = a->rank == 2 && a->shape[0] == rows && a->shape[1] == columns;
    int by_query = a->rank == 1 && a->shape[0] == columns, by_model = a->rank == 1 && a->shape[0] == rows;
    if ((!whole && !by_query && !by_model) || (by_query && by_model))
        return fail(s, "--tokens-out %s: expected [%zu] (queries), [%zu] (models) or [%zu, %zu], found %s%s", value,
                    columns, rows, rows, columns, shape_text(a->shape, a->rank, found),
                    by_query ? ", which may be either" : "");
    double *to = (double *)take(s, whole ? n * m : by_query ? n : m, sizeof *to);
    if (!to) return FAILED;
    for (size_t i = 0; i < (by_model ? 1 : n); ++i)
        for (size_t k = 0; k < (by_query ? 1 : m); ++k) {
            size_t query = use ? use[i] : first + i, row = model_rows ? model_rows[k] : k;
            double v = number_at(a, whole ? row * columns + query : by_query ? query : row);
            if (!is_finite(v) || v < 0.0)
                return fail(s, "--tokens-out %s: %s%s%s %zu: expected a number from 0, found %g", value,
                            by_query ? "" : "model ", by_query ? "" : locus_pool_model(s->pool, k)->name,
                            by_query ? "query" : ", query", query, v);
            to[whole ? i * m + k : by_query ? i : k] = v;
        }
    tokens->output = to;
    tokens->query_stride = whole ? m : (size_t)by_query;
    tokens->model_stride = (size_t)(whole || by_model);
    return DONE;
}

// The costs of the n queries in use, by the flags. texts: words of all queries (NULL: not known). Others as above.
int load_costs(session *s, const locus_model *known, const size_t *model_rows, size_t rows, size_t columns,
               const size_t *use, size_t first, size_t n, const char *const *texts, const grades *scores, costs *out)
{
    size_t m = locus_pool_count(s->pool);
    int by_token = 0, status;
    locus_tokens tokens;
    memset(out, 0, sizeof *out);
    memset(&tokens, 0, sizeof tokens);
    out->source = "of the pool's models";
    out->answer_tokens = NAN;
    if (!s->opt.costs && !s->opt.prices) return DONE;
    if (!(out->of_query = (double *)take(s, n, m * sizeof(double)))) return FAILED;
    if (s->opt.costs) {
        out->source = "of --costs";
        return read_costs(s, model_rows, rows, columns, use, first, n, scores, out->of_query);
    }
    double *in = (double *)take(s, n, sizeof *in);
    out->prices = (locus_price *)take(s, m, sizeof *out->prices);
    if (!in || !out->prices) return FAILED;
    if (load_prices(s, known, known ? rows : 0, out->prices, &by_token)) return FAILED;
    tokens.input = in;
    out->source = "of --prices, per query";
    if (by_token || s->opt.tokens_in) {
        if ((status = read_tokens_in(s, columns, use, first, n, texts, in)) != DONE) return status;
        out->source = s->opt.tokens_in ? "of --prices, tokens in of --tokens-in"
                                       : "of --prices, tokens in estimated from the text";
    }
    if ((status = read_tokens_out(s, model_rows, rows, columns, use, first, n, &tokens, &out->answer_tokens)) != DONE)
        return status;
    if (locus_price_costs(out->prices, m, &tokens, n, out->of_query, &s->err))
        return fail_library(s, "--prices", s->opt.prices);
    if (!by_token) out->answer_tokens = NAN; // nobody need know
    return DONE;
}

// Say which models have no known cost, and what was assumed.
void print_cost_notes(const session *s, const costs *c)
{
    size_t m = locus_pool_count(s->pool), unknown = 0;
    if (c->prices)
        for (size_t i = 0; i < m; ++i) {
            const locus_price *p = &c->prices[i];
            if (!is_nan(p->input + p->output + p->query)) continue;
            if (!unknown) printf("no price:");
            if (unknown < 5) {
                printf("%s ", unknown ? "," : "");
                print_text(locus_pool_model(s->pool, i)->name, 0);
            }
            ++unknown;
        }
    if (unknown > 5) printf(" and %zu more", unknown - 5);
    if (unknown)
        printf(s->opt.allow_unpriced ? " (allowed: where costs count, as dear as the dearest other)\n"
                                     : " (no candidates where costs count; --allow-unpriced)\n");
    if (!is_nan(c->answer_tokens))
        printf("%g tokens an answer%s\n", c->answer_tokens, s->opt.tokens_out ? "" : " assumed: see --tokens-out");
}

// --available, --default, --margin, --no-default, --max-cost, --lambda, --allow-unpriced; the pool is open.
int read_rules(session *s, locus_route_opts *opts)
{
    const options *o = &s->opt;
    size_t m = locus_pool_count(s->pool);
    locus_guard guard = locus_pool_get_info(s->pool).guard;
    int status;
    if (o->lambda >= 0.0 && o->budget >= 0.0) return misuse(s, "--lambda and --budget exclude each other");
    if (o->no_default && (o->default_model || o->margin >= 0.0))
        return misuse(s, "--no-default excludes --default and --margin");
    if (o->margin >= 0.0 && !o->default_model && guard.model == SIZE_MAX)
        return misuse(s, "--margin needs a --default: the pool has none");
    if (m == 0) return fail(s, "the pool is empty");
    if (o->available) {
        unsigned char *available = (unsigned char *)take(s, m, 1);
        if (!available) return FAILED;
        if ((status = read_available(s, available)) != DONE) return status;
        opts->available = available;
    }
    if (o->no_default) opts->guard = LOCUS_GUARD_NONE;
    if (o->default_model) {
        opts->guard = LOCUS_GUARD_GIVEN;
        opts->default_model = locus_pool_find(s->pool, o->default_model);
        if (opts->default_model == SIZE_MAX) return fail_name(s, "--default", o->default_model);
        if (o->margin > 0.0) opts->margin = o->margin;
    } else if (guard.model != SIZE_MAX && !o->no_default) { // the pool's, perhaps with another margin
        opts->guard = LOCUS_GUARD_GIVEN;
        opts->default_model = guard.model;
        opts->margin = o->margin >= 0.0 ? o->margin : guard.margin;
    }
    if (o->max_cost >= 0.0) opts->max_cost = o->max_cost > 0.0 ? o->max_cost : DBL_MIN; // 0 means no limit there
    if (o->lambda > 0.0) opts->lambda = o->lambda;
    if (o->allow_unpriced) opts->unpriced = LOCUS_UNPRICED_ALLOW;
    return DONE;
}

// --budget: opts->lambda <- the price that keeps it.
int keep_budget(session *s, const float *logits, size_t n, locus_route_opts *opts, double *mean_cost)
{
    if (s->opt.budget < 0.0) return DONE;
    if (locus_lambda_for_budget(s->pool, logits, n, s->opt.budget, opts, &opts->lambda, mean_cost, &s->err))
        return fail(s, "--budget %g: %s", s->opt.budget, s->err.message);
    if (opts->unpriced == LOCUS_UNPRICED_AUTO) opts->unpriced = LOCUS_UNPRICED_REFUSE;
    return DONE;
}

int fail_rank(const session *s)
{
    return fail(s, "%s%s", s->err.message,
                s->err.status == LOCUS_ERR_NO_CANDIDATE && !s->opt.allow_unpriced &&
                        (s->opt.lambda > 0.0 || s->opt.max_cost >= 0.0 || s->opt.budget >= 0.0)
                    ? "; --allow-unpriced takes models of unknown cost"
                    : "");
}
