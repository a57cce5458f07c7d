// SPDX-License-Identifier: MIT
// Text files: CSV of models, lines of words, categories.

#include "locus_tool.h"

// The whole file, terminated; with a NUL byte in it it is no text.
int read_text(session *s, const char *flag_name, const char *path, char **text)
{
    size_t capacity = 1 << 16, used = 0;
    char *data = (char *)take(s, capacity, 1);
    FILE *f = data ? fopen(path, "rb") : NULL;
    if (!data) return FAILED;
    if (!f) return fail(s, "%s %s: the file cannot be opened", flag_name, path);
    for (;;) {
        used += fread(data + used, 1, capacity - 1 - used, f);
        if (used < capacity - 1) break;
        char *larger = capacity > SIZE_MAX / 2 ? NULL : (char *)take(s, capacity *= 2, 1);
        if (!larger) {
            fclose(f);
            return FAILED;
        }
        memcpy(larger, data, used);
        data = larger;
    }
    int bad = ferror(f);
    fclose(f);
    data[used] = '\0';
    if (bad) return fail(s, "%s %s: the file cannot be read", flag_name, path);
    if (strlen(data) != used) return fail(s, "%s %s: expected a text file, found a NUL byte", flag_name, path);
    *text = strncmp(data, "\xEF\xBB\xBF", 3) == 0 ? data + 3 : data; // skip a byte order mark
    return DONE;
}

// Cut the next field out of CSV text, in place. Returns what follows it: ',', '\n' (also at the end of the text), or 0
// where a quote is out of place.
char csv_field(char **cursor, char **field, size_t *line)
{
    char *in = *cursor, *out = *cursor, end;
    int open = *in == '"';
    *field = out;
    if (open) {
        while (open && *++in) {
            if (*in == '"' && *++in != '"') open = 0; // the closing quote; a doubled one stands for itself
            else if (*in == '\n') ++*line;
            if (open) *out++ = *in;
        }
        if (open) return 0;
    } else {
        while (*in && *in != ',' && *in != '\n' && *in != '\r') *out++ = *in++;
    }
    if (in[0] == '\r' && (in[1] == '\n' || in[1] == '\0')) ++in;
    end = *in;
    if (end != ',' && end != '\n' && end != '\0') return 0;
    *cursor = end ? in + 1 : in;
    *out = '\0';
    if (end == '\n') ++*line;
    return end ? end : '\n';
}

// Names and data of the m models of --models (m are expected: they are `what`); model-0, model-1, ... without it.
int load_models(session *s, size_t m, const char *what, locus_model **out)
{
    enum { COLUMNS = 256 };
    static const char *const known[] = {"name", "params_b", "cost", "available"};
    const char *path = s->opt.models;
    signed char role[COLUMNS]; // of each column: index in `known`, or -1
    char *text = NULL, *field = NULL, end = '\n';
    size_t columns = 0, found = 0, line = 1, seen[4] = {0, 0, 0, 0};
    locus_model *models = (locus_model *)take(s, m, sizeof *models);
    if (!models) return FAILED;
    *out = models;
    for (size_t i = 0; i < m; ++i) {
        snprintf(models[i].name, sizeof models[i].name, "model-%zu", i);
        models[i].parameters_b = NAN;
        models[i].cost = NAN; // unknown
        models[i].available = 1;
    }
    if (!path) return DONE;
    if (read_text(s, "--models", path, &text)) return FAILED;
    do {
        end = csv_field(&text, &field, &line);
        if (!end || columns == COLUMNS) return fail(s, "--models %s: the header line is malformed", path);
        role[columns] = -1;
        for (int k = 0; k < 4; ++k)
            if (strcmp(field, known[k]) == 0) {
                if (seen[k]++) return fail(s, "--models %s: column %s occurs twice", path, field);
                role[columns] = (signed char)k;
            }
        ++columns;
    } while (end == ',');
    if (!seen[0]) return fail(s, "--models %s: expected a header line with a column \"name\"", path);
    while (*text) {
        size_t here = line, c = 0;
        locus_model model;
        memset(&model, 0, sizeof model);
        model.parameters_b = NAN;
        model.cost = NAN;
        model.available = 1;
        do {
            double v = 0.0;
            end = csv_field(&text, &field, &line);
            if (!end) return fail(s, "--models %s: line %zu: a quote is out of place", path, here);
            if (c == 0 && end == '\n' && *field == '\0') break; // an empty line
            if (c == columns)
                return fail(s, "--models %s: line %zu: expected %zu fields, found more", path, here, columns);
            int k = role[c++];
            if (k == 0) {
                if (strlen(field) >= sizeof model.name)
                    return fail(s, "--models %s: line %zu: name: expected at most %zu bytes, found %zu", path, here,
                                sizeof model.name - 1, strlen(field));
                strcpy(model.name, field);
            } else if (k > 0 && *field) {
                if (k == 3 && strcmp(field, "true") == 0) v = 1.0;
                else if (k == 3 && strcmp(field, "false") == 0) v = 0.0;
                else if (!read_number(field, &v) || v < 0.0 || v > FLT_MAX ||
                         (k == 3 && v > 0.0 && (v < 1.0 || v > 1.0)))
                    return fail(s, "--models %s: line %zu: %s: expected %s, found \"%s\"", path, here, known[k],
                                k == 3 ? "0, 1, true or false" : "a number from 0 or nothing", field);
                if (k == 1) model.parameters_b = (float)v;
                if (k == 2) model.cost = v;
                if (k == 3) model.available = v > 0.0;
            }
        } while (end == ',');
        if (c == 0) continue;
        if (c != columns)
            return fail(s, "--models %s: line %zu: expected %zu fields, found %zu", path, here, columns, c);
        if (model.name[0] == '\0') return fail(s, "--models %s: line %zu: the name is empty", path, here);
        for (size_t i = 0; i < found && i < m; ++i)
            if (strcmp(models[i].name, model.name) == 0)
                return fail(s, "--models %s: line %zu: the name %s occurs twice", path, here, model.name);
        if (found < m) models[found] = model;
        ++found;
    }
    if (found != m) return fail(s, "--models %s: expected %zu models (%s), found %zu", path, m, what, found);
    return DONE;
}

int has_ending(const char *path, const char *ending)
{
    size_t n = strlen(path), k = strlen(ending);
    return n > k && strcmp(path + n - k, ending) == 0;
}

// --texts: one line for each of n queries, printable as it stands.
int load_texts(session *s, size_t n, const char ***texts)
{
    char *line = NULL, *next;
    size_t lines = 0;
    *texts = (const char **)take(s, n, sizeof **texts);
    if (!*texts || read_text(s, "--texts", s->opt.texts, &line)) return FAILED;
    for (; *line; line = next, ++lines) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        else next = line + strlen(line);
        for (char *c = line; *c; ++c)
            if (iscntrl((unsigned char)*c)) *c = ' ';
        if (lines < n) (*texts)[lines] = line;
    }
    if (lines == n) return DONE;
    return fail(s, "--texts %s: expected %zu lines (the rows of --encodings), found %zu", s->opt.texts, n, lines);
}

typedef struct label { // of a query: a category
    const char *text;
    size_t query;
} label;

static int by_text(const void *a, const void *b)
{
    const label *x = (const label *)a, *y = (const label *)b;
    int order = strcmp(x->text, y->text);
    return order ? order : (x->query > y->query) - (x->query < y->query);
}

// --categories: the number of each query's category, and the names in order.
int load_categories(session *s, size_t n, int32_t **category, const char ***names, size_t *count)
{
    const char *path = s->opt.categories;
    label *sorted = (label *)take(s, n, sizeof *sorted);
    *category = (int32_t *)take(s, n, sizeof **category);
    *names = (const char **)take(s, n, sizeof **names);
    *count = 0;
    if (!sorted || !*category || !*names) return FAILED;
    size_t lines = 0;
    if (is_npy(path)) {
        const locus_array *a = NULL;
        char *text;
        if (open_array(s, "--categories", path, 1, "one number for each query", &a)) return FAILED;
        if (!is_integer(a))
            return fail(s, "--categories %s: expected u1, i4 or i8, found %s", path, dtype_name(a->dtype));
        if (!(text = (char *)take(s, n, 24))) return FAILED;
        for (lines = 0; lines < a->count; ++lines)
            if (lines < n) {
                snprintf(text + 24 * lines, 24, "%lld", (long long)integer_at(a, lines));
                sorted[lines].text = text + 24 * lines;
            }
    } else if (has_ending(path, ".jsonl") || has_ending(path, ".ndjson")) {
        if (locus_texts_open(&s->labels, path, NULL, &s->err)) return fail_library(s, "--categories", path);
        for (lines = 0; lines < s->labels.count; ++lines) {
            if (s->labels.texts[lines] && !*s->labels.categories[lines])
                return fail(s, "--categories %s: query %zu has no \"category\"", path, lines);
            if (lines < n) sorted[lines].text = s->labels.categories[lines];
        }
    } else {
        char *line = NULL, *next;
        if (read_text(s, "--categories", path, &line)) return FAILED;
        for (; *line; line = next, ++lines) {
            next = strchr(line, '\n');
            if (next) *next++ = '\0';
            else next = line + strlen(line);
            if (next - line > 1 && next[-1] == '\0' && next[-2] == '\r') next[-2] = '\0';
            if (lines < n) sorted[lines].text = line;
        }
    }
    if (lines != n)
        return fail(s, "--categories %s: expected %zu entries (the rows of --encodings), found %zu", path, n, lines);
    for (size_t i = 0; i < n; ++i) sorted[i].query = i;
    qsort(sorted, n, sizeof *sorted, by_text);
    for (size_t i = 0; i < n; ++i) {
        if (i == 0 || strcmp(sorted[i].text, sorted[i - 1].text) != 0) (*names)[(*count)++] = sorted[i].text;
        (*category)[sorted[i].query] = (int32_t)(*count - 1);
    }
    return DONE;
}
