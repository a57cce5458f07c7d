// SPDX-License-Identifier: MIT
// Arrays: encodings, scores, masks, lists of places. What does not fit is named by flag and file, with what was
// expected and what was found.

#include "locus_tool.h"

const char *dtype_name(locus_dtype dtype)
{
    static const char *const names[] = {"?", "u1", "b1", "i4", "i8", "f2", "bf16", "f4", "f8"};
    return (size_t)dtype < sizeof names / sizeof *names ? names[dtype] : "?";
}

const char *shape_text(const size_t *shape, size_t rank)
{
    const char *text = "";
    for (size_t i = 0; i < rank; ++i) text = phrase("%s%s%zu", text, i ? ", " : "", shape[i]);
    return phrase("[%s]", text);
}

int is_npy(const char *path)
{
    char magic[6] = {0};
    FILE *f = fopen(path, "rb");
    if (!f) return has_ending(path, ".npy");
    size_t n = fread(magic, 1, sizeof magic, f);
    fclose(f);
    return n == sizeof magic && memcmp(magic, "\x93NUMPY", 6) == 0;
}

const locus_array *open_any(const char *flag_name, const char *path)
{
    if (tool.array_count == sizeof tool.arrays / sizeof *tool.arrays) fail("%s: too many arrays are open", flag_name);
    locus_array *a = &tool.arrays[tool.array_count];
    must_file(locus_npy_open(a, path, &tool.err), flag_name, path);
    ++tool.array_count;
    return a;
}

const locus_array *open_array(const char *flag_name, const char *path, size_t rank, const char *meaning)
{
    const locus_array *a = open_any(flag_name, path);
    if (a->rank != rank) fail("%s %s: expected %s, found %s", flag_name, path, meaning, shape_text(a->shape, a->rank));
    return a;
}

const locus_array *open_table(const char *flag_name, const char *path, const char *rows, size_t columns,
                              const char *dim)
{
    const char *meaning = phrase("[%s, %zu] (the %s of the net)", rows, columns, dim);
    const locus_array *a = open_array(flag_name, path, 2, meaning);
    if (a->shape[1] != columns) fail("%s %s: expected %s, found %s", flag_name, path, meaning, shape_text(a->shape, 2));
    return a;
}

static int is_integer(const locus_array *a)
{
    return a->dtype == LOCUS_U8 || a->dtype == LOCUS_I32 || a->dtype == LOCUS_I64;
}

int64_t integer_at(const locus_array *a, size_t i)
{
    if (a->dtype == LOCUS_I64) return ((const int64_t *)a->data)[i];
    if (a->dtype == LOCUS_I32) return ((const int32_t *)a->data)[i];
    return ((const unsigned char *)a->data)[i];
}

double number_at(const locus_array *a, size_t i)
{
    float v = NAN;
    if (a->dtype == LOCUS_F64) return ((const double *)a->data)[i];
    if (is_integer(a)) return (double)integer_at(a, i);
    return locus_array_to_f32(a, i, 1, &v, NULL) ? (double)NAN : (double)v;
}

const locus_array *open_integers(const char *flag_name, const char *path, size_t n)
{
    const locus_array *a = open_array(flag_name, path, 1, "one whole number for each query");
    if (a->count != n || !is_integer(a))
        fail("%s %s: expected %zu whole numbers (the rows of --encodings), found %zu of %s", flag_name, path, n,
             a->count, dtype_name(a->dtype));
    return a;
}

size_t *load_places(const char *flag_name, const char *path, size_t limit, const char *what, size_t *count)
{
    *count = limit;
    if (!path) return NULL;
    const locus_array *a = open_array(flag_name, path, 1, "a list of whole numbers");
    if (!is_integer(a))
        fail("%s %s: expected whole numbers (u1, i4, i8), found %s", flag_name, path, dtype_name(a->dtype));
    size_t *places = take(a->count, sizeof *places);
    unsigned char *used = take(limit, 1);
    for (size_t i = 0; i < a->count; ++i) {
        int64_t v = integer_at(a, i);
        if (v < 0 || (uint64_t)v >= limit)
            fail("%s %s: element %zu: expected 0 to %zu (%s), found %lld", flag_name, path, i, limit ? limit - 1 : 0,
                 what, (long long)v);
        if (used[v]++) fail("%s %s: element %zu: %lld occurs twice", flag_name, path, i, (long long)v);
        places[i] = (size_t)v;
    }
    *count = a->count;
    return places;
}

// ------------------------------------------------------------------------------------------------------------- queries

locus_queries float_queries(const char *flag_name, const char *path, const locus_array *a)
{
    locus_queries q = {.encodings = a->data, .count = a->shape[0], .dim = a->shape[1]};
    if (a->dtype != LOCUS_F32) {
        float *floats = take(a->count, sizeof *floats);
        must_file(locus_array_to_f32(a, 0, a->count, floats, &tool.err), flag_name, path);
        q.encodings = floats;
    }
    return q;
}

locus_queries pick_queries(const locus_queries *q, const size_t *rows, size_t n)
{
    float *picked = take(n, q->dim * sizeof *picked);
    for (size_t i = 0; i < n; ++i)
        memcpy(picked + i * q->dim, q->encodings + rows[i] * q->dim, q->dim * sizeof *picked);
    return (locus_queries){.encodings = picked, .count = n, .dim = q->dim};
}

const char *queries_name(void)
{
    return opt.encodings ? phrase("--encodings %s", opt.encodings)
                         : phrase("--text%s%s", opt.text_file ? " " : "", opt.text_file ? opt.text_file : "");
}

void open_texts(void)
{
    if (opt.encodings && opt.text_file) misuse("--encodings and --text exclude each other");
    if (!opt.encodings && !opt.text_file) misuse("--encodings Q.npy or --text FILE.jsonl is required: the queries");
    if (!opt.text_file) return;
    must_file(locus_texts_open(&tool.texts, opt.text_file, NULL, &tool.err), "--text", opt.text_file);
    for (size_t i = 0; i < tool.texts.count; ++i)
        if (!tool.texts.texts[i]) fail("--text %s: query %zu has no \"text\"", opt.text_file, i);
}

const char *const *query_texts(void) { return opt.text_file ? tool.texts.texts : NULL; }

locus_queries encode_texts(const locus_text *encoder)
{
    const locus_texts *t = &tool.texts;
    float *to = take(t->count, encoder->dim * sizeof *to);
    for (size_t i = 0; i < t->count; ++i)
        must_file(locus_encode_text(encoder, t->texts[i], t->bytes[i], to + i * encoder->dim, NULL, &tool.err),
                  "--text", opt.text_file);
    return (locus_queries){.encodings = to, .count = t->count, .dim = encoder->dim};
}

const locus_text *net_text(void)
{
    const locus_text *encoder = tool.info.text;
    const char *name = tool.info.query_encoder;
    if (!encoder)
        fail("--text: this net reads encodings of %s%s%s: give them with --encodings", *name ? "\"" : "another encoder",
             name, *name ? "\"" : "");
    return encoder;
}

locus_queries load_queries(const char *flag_name, const char *path)
{
    return float_queries(flag_name, path, open_table(flag_name, path, "queries", tool.info.q_dim, "q_dim"));
}

locus_queries open_queries(void)
{
    open_texts();
    return opt.text_file ? encode_texts(net_text()) : load_queries("--encodings", opt.encodings);
}

// -------------------------------------------------------------------------------------------------------------- scores

const locus_array *open_scores(size_t n, const char *rows)
{
    const locus_array *y = open_array("--scores", opt.scores, 2, "[models, queries]");
    if (y->shape[1] != n)
        fail("--scores %s: expected [models, %zu] (the rows of %s), found %s", opt.scores, n, rows,
             shape_text(y->shape, 2));
    return y;
}

locus_scores pick_grades(const locus_array *a, const size_t *rows, size_t row_count, const size_t *columns,
                         size_t column_count)
{
    const size_t n = a->shape[1];
    const int bytes = a->dtype == LOCUS_U8 || a->dtype == LOCUS_BOOL;
    locus_scores g = {.models = row_count, .count = column_count};
    if (!rows && !columns && a->dtype == LOCUS_U8) g.u8 = a->data;
    if (!rows && !columns && a->dtype == LOCUS_F32) g.f32 = a->data;
    if (g.u8 || g.f32) return g;
    if (column_count && row_count > SIZE_MAX / column_count) fail("out of memory");
    unsigned char *u8 = bytes ? take(row_count * column_count, 1) : NULL;
    float *f32 = bytes ? NULL : take(row_count * column_count, sizeof *f32),
          *line = bytes ? NULL : take(n, sizeof *line);
    for (size_t r = 0; r < row_count; ++r) {
        size_t first = (rows ? rows[r] : r) * n;
        if (!bytes) must(locus_array_to_f32(a, first, n, line, &tool.err));
        for (size_t c = 0; c < column_count; ++c) {
            size_t from = columns ? columns[c] : c;
            if (bytes) {
                unsigned char v = ((const unsigned char *)a->data)[first + from];
                u8[r * column_count + c] = a->dtype == LOCUS_BOOL ? v != 0 : v;
            } else {
                f32[r * column_count + c] = line[from];
            }
        }
    }
    g.u8 = u8;
    g.f32 = f32;
    return g;
}

int is_missing(const locus_scores *g, size_t model, size_t query)
{
    size_t at = model * g->count + query;
    return g->u8 ? g->u8[at] == 255 : is_nan(g->f32[at]);
}

float score_at(const locus_scores *g, size_t model, size_t query)
{
    size_t at = model * g->count + query;
    return is_missing(g, model, query) ? 0.0f : g->u8 ? (float)g->u8[at] : g->f32[at];
}

size_t *match_models(size_t score_rows)
{
    size_t m = locus_pool_count(tool.pool), picked = 0;
    size_t *list = load_places("--model-rows", opt.model_rows, score_rows, "the rows of --scores", &picked);
    if (!opt.models) {
        if (picked != m)
            fail("--scores %s: expected %zu rows (the models of the pool), found %zu; --models models.csv matches them "
                 "by name, --model-rows IDX.npy by number",
                 opt.scores, m, picked);
        return list;
    }
    const locus_model *table = load_models(score_rows, "the rows of --scores");
    size_t *rows = take(m, sizeof *rows);
    for (size_t i = 0; i < m; ++i) {
        size_t k = 0;
        while (k < picked && strcmp(table[list ? list[k] : k].name, model_name(i)) != 0) ++k;
        if (k == picked) fail("--models %s: model %s of the pool is not among the scores", opt.models, model_name(i));
        rows[i] = list ? list[k] : k;
    }
    return rows;
}

unsigned char *load_answers(size_t n)
{
    const size_t m = locus_pool_count(tool.pool);
    if (!opt.scores) return NULL;
    const locus_array *y = open_scores(n, "--encodings");
    const locus_scores g = pick_grades(y, match_models(y->shape[0]), m, NULL, n);
    unsigned char *answers = take(m, n);
    for (size_t i = 0; i < m; ++i)
        for (size_t j = 0; j < n; ++j) {
            size_t at = i * n + j;
            if (g.u8 && g.u8[at] > 1 && g.u8[at] != 255)
                fail("--scores %s: expected 0, 1 or 255, found %d", opt.scores, g.u8[at]);
            answers[at] = is_missing(&g, i, j) ? 255 : score_at(&g, i, j) > 0.5f;
        }
    return answers;
}

float *load_row(const char *flag_name, const char *path, size_t n, size_t model)
{
    const locus_array *a = open_any(flag_name, path);
    size_t row = 0;
    if (!(a->rank == 1 && a->shape[0] == n) && !(a->rank == 2 && a->shape[1] == n))
        fail("%s %s: expected [%zu] or [models, %zu] (the rows of the encodings), found %s", flag_name, path, n, n,
             shape_text(a->shape, a->rank));
    if (a->rank == 2 && a->shape[0] != 1) {
        if (model == SIZE_MAX)
            fail("%s %s: expected one model's scores, [%zu] or [1, %zu], found %s", flag_name, path, n, n,
                 shape_text(a->shape, a->rank));
        const size_t *rows = match_models(a->shape[0]);
        row = rows ? rows[model] : model;
    }
    float *scores = take(n, sizeof *scores);
    must_file(locus_array_to_f32(a, row * n, n, scores, &tool.err), flag_name, path);
    for (size_t i = 0; i < n; ++i) {
        if (a->dtype == LOCUS_U8 && scores[i] > 254.5f) scores[i] = NAN;
        if (scores[i] < 0.0f || scores[i] > 1.0f)
            fail("%s %s: element %zu: expected 0 to 1 or missing, found %g", flag_name, path, i, (double)scores[i]);
    }
    return scores;
}

locus_scores one_row(const locus_scores *g, size_t model)
{
    const size_t at = model * g->count;
    return (locus_scores){.models = 1, .f32 = g->f32 ? g->f32 + at : NULL, .u8 = g->u8 ? g->u8 + at : NULL};
}

locus_evals one_model(const locus_queries *queries, const float *scores)
{
    return (locus_evals){.queries = *queries, .scores = {.models = 1, .f32 = scores}};
}
