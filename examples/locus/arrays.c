// SPDX-License-Identifier: MIT
// Arrays: encodings, scores, masks, lists of places; what does not fit is said with flag, file, expected and found.

#include "locus_tool.h"

const char *dtype_name(locus_dtype dtype)
{
    static const char *const names[] = {"?", "u1", "b1", "i4", "i8", "f2", "bf16", "f4", "f8"};
    return (size_t)dtype < sizeof names / sizeof *names ? names[dtype] : "?";
}

// "[33, 12032]"
const char *shape_text(const size_t *shape, size_t rank, char text[240])
{
    size_t used = (size_t)snprintf(text, 240, "[");
    for (size_t i = 0; i < rank; ++i)
        used += (size_t)snprintf(text + used, 240 - used, "%s%zu", i ? ", " : "", shape[i]);
    snprintf(text + used, 240 - used, "]");
    return text;
}

int open_array(session *s, const char *flag_name, const char *path, size_t rank, const char *meaning,
               const locus_array **out)
{
    char found[240];
    locus_array *a = &s->arrays[s->array_count];
    if (locus_npy_open(a, path, &s->err)) return fail_library(s, flag_name, path);
    ++s->array_count;
    if (a->rank != rank)
        return fail(s, "%s %s: expected %s, found %s", flag_name, path, meaning, shape_text(a->shape, a->rank, found));
    *out = a;
    return DONE;
}

int is_integer(const locus_array *a) { return a->dtype == LOCUS_U8 || a->dtype == LOCUS_I32 || a->dtype == LOCUS_I64; }

int64_t integer_at(const locus_array *a, size_t i)
{
    if (a->dtype == LOCUS_I64) return ((const int64_t *)a->data)[i];
    if (a->dtype == LOCUS_I32) return ((const int32_t *)a->data)[i];
    return ((const unsigned char *)a->data)[i];
}

// A list of different places below `limit`; *out is NULL if path is.
int load_places(session *s, const char *flag_name, const char *path, size_t limit, const char *what, size_t **out,
                size_t *count)
{
    const locus_array *a = NULL;
    *out = NULL;
    *count = limit;
    if (!path) return DONE;
    if (open_array(s, flag_name, path, 1, "a list of whole numbers", &a)) return FAILED;
    if (!is_integer(a))
        return fail(s, "%s %s: expected whole numbers (u1, i4, i8), found %s", flag_name, path, dtype_name(a->dtype));
    size_t *places = (size_t *)take(s, a->count, sizeof *places);
    unsigned char *used = (unsigned char *)take(s, limit, 1);
    if (!places || !used) return FAILED;
    for (size_t i = 0; i < a->count; ++i) {
        int64_t v = integer_at(a, i);
        if (v < 0 || (uint64_t)v >= limit)
            return fail(s, "%s %s: element %zu: expected 0 to %zu (%s), found %lld", flag_name, path, i,
                        limit ? limit - 1 : 0, what, (long long)v);
        if (used[v]++) return fail(s, "%s %s: element %zu: %lld occurs twice", flag_name, path, i, (long long)v);
        places[i] = (size_t)v;
    }
    *out = places;
    *count = a->count;
    return DONE;
}

int open_grades(session *s, const char *flag_name, const char *path, const locus_array **out)
{
    return open_array(s, flag_name, path, 2, "[models, queries]", out);
}

// Pick rows and columns (NULL: all) of a [models, queries] array.
int pick_grades(session *s, const locus_array *a, const size_t *rows, size_t row_count, const size_t *columns,
                size_t column_count, grades *out)
{
    size_t n = a->shape[1];
    int bytes = a->dtype == LOCUS_U8 || a->dtype == LOCUS_BOOL;
    memset(out, 0, sizeof *out);
    out->models = row_count;
    out->n = column_count;
    if (!rows && !columns && a->dtype == LOCUS_U8) out->u8 = (const unsigned char *)a->data;
    if (!rows && !columns && a->dtype == LOCUS_F32) out->f32 = (const float *)a->data;
    if (out->u8 || out->f32) return DONE;
    if (column_count && row_count > SIZE_MAX / column_count) return fail(s, "out of memory");
    unsigned char *u8 = bytes ? (unsigned char *)take(s, row_count * column_count, 1) : NULL;
    float *f32 = bytes ? NULL : (float *)take(s, row_count * column_count, sizeof(float));
    float *line = bytes ? NULL : (float *)take(s, n, sizeof(float));
    if (bytes ? !u8 : !f32 || !line) return FAILED;
    for (size_t r = 0; r < row_count; ++r) {
        size_t first = (rows ? rows[r] : r) * n;
        if (!bytes && locus_array_to_f32(a, first, n, line, &s->err)) return fail(s, "%s", s->err.message);
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
    out->u8 = u8;
    out->f32 = f32;
    return DONE;
}

int is_missing(const grades *g, size_t model, size_t query)
{
    size_t at = model * g->n + query;
    return g->u8 ? g->u8[at] == 255 : is_nan(g->f32[at]) != 0;
}

// "--encodings Q.npy" or "--text FILE": for messages.
const char *queries_name(session *s)
{
    const char *path = s->opt.encodings ? s->opt.encodings : s->opt.text_file ? s->opt.text_file : "";
    char *name = (char *)take(s, strlen(path) + 16, 1);
    if (!name) return path;
    sprintf(name, "%s%s", s->opt.encodings ? "--encodings " : s->opt.text_file ? "--text " : "--text", path);
    return name;
}

// The texts of --text as an array of their encodings.
int encode_texts(session *s, const locus_text *encoder, const locus_array **out)
{
    const locus_texts *t = &s->texts;
    locus_array *a = &s->arrays[s->array_count];
    float *to = (float *)take(s, t->count, encoder->dim * sizeof *to);
    if (!to) return FAILED;
    for (size_t i = 0; i < t->count; ++i)
        if (locus_encode_text(encoder, t->texts[i], t->bytes[i], to + i * encoder->dim, NULL, &s->err))
            return fail_library(s, "--text", s->opt.text_file);
    memset(a, 0, sizeof *a);
    a->dtype = LOCUS_F32;
    a->rank = 2;
    for (size_t i = 0; i < 8; ++i) a->shape[i] = 1;
    a->shape[0] = t->count;
    a->shape[1] = encoder->dim;
    a->count = t->count * encoder->dim;
    a->data = to;
    ++s->array_count;
    *out = a;
    return DONE;
}

int open_texts(session *s)
{
    if (s->opt.encodings && s->opt.text_file) return misuse(s, "--encodings and --text exclude each other");
    if (!s->opt.encodings && !s->opt.text_file)
        return misuse(s, "--encodings Q.npy or --text FILE.jsonl is required: the queries");
    if (s->opt.text_file && locus_texts_open(&s->texts, s->opt.text_file, NULL, &s->err))
        return fail_library(s, "--text", s->opt.text_file);
    for (size_t i = 0; i < s->texts.count; ++i)
        if (!s->texts.texts[i]) return fail(s, "--text %s: query %zu has no \"text\"", s->opt.text_file, i);
    return DONE;
}

// The text encoder that the net carries, or a message that it has none.
const locus_text *net_text(session *s)
{
    const locus_text *encoder = locus_net_text(s->net);
    if (!encoder)
        fail(s, "--text: this net reads encodings of %s%s%s: give them with --encodings",
             s->info.query_encoder[0] ? "\"" : "another encoder", s->info.query_encoder,
             s->info.query_encoder[0] ? "\"" : "");
    return encoder;
}

int open_encodings(session *s, const locus_array **out)
{
    char meaning[80], found[240];
    int status = open_texts(s);
    if (status) return status;
    if (s->opt.text_file) {
        const locus_text *encoder = net_text(s);
        return encoder ? encode_texts(s, encoder, out) : FAILED;
    }
    snprintf(meaning, sizeof meaning, "[queries, %zu]", s->info.q_dim);
    if (open_array(s, "--encodings", s->opt.encodings, 2, meaning, out)) return FAILED;
    if ((*out)->shape[1] != s->info.q_dim)
        return fail(s, "--encodings %s: expected %s (the q_dim of the net), found %s", s->opt.encodings, meaning,
                    shape_text((*out)->shape, 2, found));
    return DONE;
}

// Rows of the encodings as floats: rows[first], rows[first + 1], ..., or just the rows from `first` where rows is NULL.
// In place where possible, else in buffer.
const float *encoding_rows(session *s, const locus_array *a, const size_t *rows, size_t first, size_t count,
                           float *buffer)
{
    size_t d = a->shape[1];
    if (!rows && a->dtype == LOCUS_F32) return (const float *)a->data + first * d;
    for (size_t i = 0; i < count; ++i)
        if (locus_array_to_f32(a, (rows ? rows[first + i] : first + i) * d, d, buffer + i * d, &s->err)) return NULL;
    return buffer;
}

int is_npy(const char *path)
{
    char magic[6] = {0, 0, 0, 0, 0, 0};
    FILE *f = fopen(path, "rb");
    if (!f) return has_ending(path, ".npy");
    size_t n = fread(magic, 1, sizeof magic, f);
    fclose(f);
    return n == sizeof magic && memcmp(magic, "\x93NUMPY", 6) == 0;
}

// rows[i] <- row of --scores that belongs to model i of the pool; NULL where they are the same.
int match_models(session *s, size_t score_rows, size_t **rows)
{
    size_t m = locus_pool_count(s->pool), picked = 0, *list = NULL;
    locus_model *table = NULL;
    if (load_places(s, "--model-rows", s->opt.model_rows, score_rows, "the rows of --scores", &list, &picked))
        return FAILED;
    *rows = list;
    if (!s->opt.models) {
        if (picked != m)
            return fail(
                s,
                "--scores %s: expected %zu rows (the models of the pool), found %zu; --models models.csv matches "
                "them by name, --model-rows IDX.npy by number",
                s->opt.scores, m, picked);
        return DONE;
    }
    if (load_models(s, score_rows, "the rows of --scores", &table)) return FAILED;
    if (!(*rows = (size_t *)take(s, m, sizeof **rows))) return FAILED;
    for (size_t i = 0; i < m; ++i) {
        size_t k = 0;
        const char *name = locus_pool_model(s->pool, i)->name;
        while (k < picked && strcmp(table[list ? list[k] : k].name, name) != 0) ++k;
        if (k == picked)
            return fail(s, "--models %s: model %s of the pool is not among the scores", s->opt.models, name);
        (*rows)[i] = list ? list[k] : k;
    }
    return DONE;
}

float score_at(const grades *g, size_t model, size_t query)
{
    size_t at = model * g->n + query;
    return is_missing(g, model, query) ? 0.0f : g->u8 ? (float)g->u8[at] : g->f32[at];
}

// Element i of a numeric array, exactly.
double number_at(const locus_array *a, size_t i)
{
    float v = NAN;
    if (a->dtype == LOCUS_F64) return ((const double *)a->data)[i];
    if (is_integer(a)) return (double)integer_at(a, i);
    return locus_array_to_f32(a, i, 1, &v, NULL) ? (double)NAN : (double)v;
}

// The rows of an array as floats.
int float_queries(session *s, const char *flag_name, const char *path, const locus_array *a, locus_queries *out)
{
    float *buffer = a->dtype == LOCUS_F32 ? NULL : (float *)take(s, a->count, sizeof *buffer);
    if (a->dtype != LOCUS_F32 && !buffer) return FAILED;
    memset(out, 0, sizeof *out);
    out->encodings = encoding_rows(s, a, NULL, 0, a->shape[0], buffer);
    if (!out->encodings) return fail_library(s, flag_name, path);
    out->count = a->shape[0];
    out->dim = a->shape[1];
    return DONE;
}

// --scores, row by row for the models of the pool, as right, wrong or missing.
int load_scores(session *s, size_t n, unsigned char **out)
{
    const locus_array *y = NULL;
    size_t *rows = NULL, m = locus_pool_count(s->pool);
    char found[240];
    grades g;
    *out = NULL;
    if (!s->opt.scores) return DONE;
    if (open_grades(s, "--scores", s->opt.scores, &y)) return FAILED;
    if (y->shape[1] != n)
        return fail(s, "--scores %s: expected [models, %zu] (the rows of --encodings), found %s", s->opt.scores, n,
                    shape_text(y->shape, 2, found));
    if (match_models(s, y->shape[0], &rows) || pick_grades(s, y, rows, m, NULL, n, &g)) return FAILED;
    if (!(*out = (unsigned char *)take(s, m, n))) return FAILED;
    for (size_t i = 0; i < m; ++i)
        for (size_t j = 0; j < n; ++j) {
            size_t at = i * n + j;
            int right = g.u8 ? g.u8[at] == 1 : g.f32[at] > 0.5f;
            if (g.u8 && g.u8[at] > 1 && g.u8[at] != 255)
                return fail(s, "--scores %s: expected 0, 1 or 255, found %d", s->opt.scores, g.u8[at]);
            (*out)[at] = is_missing(&g, i, j) ? 255 : (unsigned char)right;
        }
    return DONE;
}

// One model's scores on n queries, NaN = missing: from [n], [1, n], or its row of [models, n].
int load_row(session *s, const char *flag_name, const char *path, size_t n, size_t model, float **out)
{
    char found[240];
    size_t row = 0, *rows = NULL;
    locus_array *a = &s->arrays[s->array_count];
    if (locus_npy_open(a, path, &s->err)) return fail_library(s, flag_name, path);
    ++s->array_count;
    if (!(a->rank == 1 && a->shape[0] == n) && !(a->rank == 2 && a->shape[1] == n))
        return fail(s, "%s %s: expected [%zu] or [models, %zu] (the rows of the encodings), found %s", flag_name, path,
                    n, n, shape_text(a->shape, a->rank, found));
    if (a->rank == 2 && a->shape[0] != 1) {
        if (model == SIZE_MAX)
            return fail(s, "%s %s: expected one model's scores, [%zu] or [1, %zu], found %s", flag_name, path, n, n,
                        shape_text(a->shape, a->rank, found));
        if (match_models(s, a->shape[0], &rows)) return FAILED;
        row = rows ? rows[model] : model;
    }
    if (!(*out = (float *)take(s, n, sizeof **out))) return FAILED;
    if (locus_array_to_f32(a, row * n, n, *out, &s->err)) return fail(s, "%s %s: %s", flag_name, path, s->err.message);
    for (size_t i = 0; i < n; ++i) {
        if (a->dtype == LOCUS_U8 && (*out)[i] > 254.5f) (*out)[i] = NAN;
        if ((*out)[i] < 0.0f || (*out)[i] > 1.0f)
            return fail(s, "%s %s: element %zu: expected 0 to 1 or missing, found %g", flag_name, path, i,
                        (double)(*out)[i]);
    }
    return DONE;
}

locus_evals one_model(const locus_queries *queries, const float *scores)
{
    locus_evals e;
    memset(&e, 0, sizeof e);
    e.queries = *queries;
    e.scores.models = 1;
    e.scores.f32 = scores;
    return e;
}
