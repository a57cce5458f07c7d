// SPDX-License-Identifier: MIT
// Text files: lines, CSV tables, models.csv, categories.

#include "locus_tool.h"

int has_ending(const char *path, const char *ending)
{
    size_t n = strlen(path), k = strlen(ending);
    return n > k && strcmp(path + n - k, ending) == 0;
}

// The whole file, terminated; with a NUL byte in it it is no text.
static char *read_text(const char *flag_name, const char *path)
{
    size_t capacity = 1 << 16, used = 0;
    FILE *f = fopen(path, "rb");
    if (!f) fail("%s %s: the file cannot be opened", flag_name, path);
    char *data = take(capacity, 1);
    for (;;) {
        used += fread(data + used, 1, capacity - 1 - used, f);
        if (used < capacity - 1) break;
        char *larger = take(capacity *= 2, 1);
        memcpy(larger, data, used);
        data = larger;
    }
    int bad = ferror(f);
    fclose(f);
    data[used] = '\0';
    if (bad) fail("%s %s: the file cannot be read", flag_name, path);
    if (strlen(data) != used) fail("%s %s: expected a text file, found a NUL byte", flag_name, path);
    return strncmp(data, "\xEF\xBB\xBF", 3) == 0 ? data + 3 : data; // skip a byte order mark
}

char **read_lines(const char *flag_name, const char *path, size_t n, const char *what)
{
    char *line = read_text(flag_name, path), **lines = take(n, sizeof *lines), *next;
    size_t found = 0;
    for (; *line; line = next, ++found) {
        size_t length = strcspn(line, "\n");
        next = line + length + (line[length] == '\n');
        if (length && line[length - 1] == '\r') --length;
        line[length] = '\0';
        if (found < n) lines[found] = line;
    }
    if (found != n)
        fail("%s %s: expected %zu %s (the rows of --encodings), found %zu", flag_name, path, n, what, found);
    return lines;
}

// ----------------------------------------------------------------------------------------------------------------- CSV

// Cut the next field out, in place. Returns what follows it: ',', '\n' (also at the end of the text), or 0 where a
// quote is out of place.
static char csv_field(csv *t, const char **field)
{
    char *in = t->text, *out = t->text, end;
    int open = *in == '"';
    *field = out;
    if (open) {
        while (open && *++in) {
            if (*in == '"' && *++in != '"') open = 0; // the closing quote; a doubled one stands for itself
            else if (*in == '\n') ++t->next;
            if (open) *out++ = *in;
        }
        if (open) return 0;
    } else {
        while (*in && *in != ',' && *in != '\n' && *in != '\r') *out++ = *in++;
    }
    if (in[0] == '\r' && (in[1] == '\n' || in[1] == '\0')) ++in;
    end = *in;
    if (end != ',' && end != '\n' && end != '\0') return 0;
    t->text = end ? in + 1 : in;
    *out = '\0';
    if (end == '\n') ++t->next;
    return end ? end : '\n';
}

csv *csv_open(const char *flag_name, const char *path)
{
    csv *t = take(1, sizeof *t);
    char end;
    t->where = phrase("%s %s", flag_name, path);
    t->text = read_text(flag_name, path);
    t->next = 1;
    do {
        end = t->columns < CSV_COLUMNS ? csv_field(t, &t->header[t->columns++]) : 0;
        if (!end) fail("%s: the header line is malformed", t->where);
    } while (end == ',');
    return t;
}

int csv_next(csv *t)
{
    while (*t->text) {
        size_t found = 0;
        char end;
        t->line = t->next;
        do {
            const char *field;
            end = csv_field(t, &field);
            if (!end) fail("%s: line %zu: a quote is out of place", t->where, t->line);
            if (found == t->columns)
                fail("%s: line %zu: expected %zu fields, found more", t->where, t->line, t->columns);
            t->field[found++] = field;
        } while (end == ',');
        if (found == 1 && !*t->field[0]) continue; // an empty line
        if (found != t->columns)
            fail("%s: line %zu: expected %zu fields, found %zu", t->where, t->line, t->columns, found);
        return 1;
    }
    return 0;
}

// -------------------------------------------------------------------------------------------------- models, categories

enum { NAME, SIZE, COST, UP, KNOWN }; // columns of --models

static const locus_model unknown_model = {.parameters_b = NAN, .cost = NAN, .available = 1};

// One row of --models; at: the places of the known columns.
static locus_model read_model(const csv *t, const size_t at[KNOWN])
{
    locus_model model = unknown_model;
    const char *name = t->field[at[NAME]];
    if (!*name) fail("%s: line %zu: the name is empty", t->where, t->line);
    if (strlen(name) >= sizeof model.name)
        fail("%s: line %zu: name: expected at most %zu bytes, found %zu", t->where, t->line, sizeof model.name - 1,
             strlen(name));
    strcpy(model.name, name);
    for (int k = SIZE; k < KNOWN; ++k) {
        const char *field = at[k] == SIZE_MAX ? "" : t->field[at[k]];
        double v = k == UP && strcmp(field, "true") == 0;
        if (!*field) continue;
        if (!(k == UP && find_word("true|false", field) >= 0) &&
            (!read_number(field, &v) || v < 0.0 || v > FLT_MAX || (k == UP && v > 0.0 && (v < 1.0 || v > 1.0))))
            fail("%s: line %zu: %s: expected %s, found \"%s\"", t->where, t->line, t->header[at[k]],
                 k == UP ? "0, 1, true or false" : "a number from 0 or nothing", field);
        if (k == SIZE) model.parameters_b = (float)v;
        if (k == COST) model.cost = v;
        if (k == UP) model.available = v > 0.0;
    }
    return model;
}

locus_model *load_models(size_t m, const char *what)
{
    static const char *const known = "name|params_b|cost|available";
    size_t found = 0, at[KNOWN] = {SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX};
    locus_model *models = take(m, sizeof *models);
    for (size_t i = 0; i < m; ++i) {
        models[i] = unknown_model;
        snprintf(models[i].name, sizeof models[i].name, "model-%zu", i);
    }
    if (!opt.models) return models;
    csv *t = csv_open("--models", opt.models);
    for (size_t c = 0; c < t->columns; ++c) {
        int k = find_word(known, t->header[c]);
        if (k < 0) continue;
        if (at[k] != SIZE_MAX) fail("%s: column %s occurs twice", t->where, t->header[c]);
        at[k] = c;
    }
    if (at[NAME] == SIZE_MAX) fail("%s: expected a header line with a column \"name\"", t->where);
    for (; csv_next(t); ++found) {
        locus_model model = read_model(t, at);
        for (size_t i = 0; i < found && i < m; ++i)
            if (strcmp(models[i].name, model.name) == 0)
                fail("%s: line %zu: the name %s occurs twice", t->where, t->line, model.name);
        if (found < m) models[found] = model;
    }
    if (found != m) fail("%s: expected %zu models (%s), found %zu", t->where, m, what, found);
    return models;
}

typedef struct label { // of a query: a category
    const char *text;
    size_t query;
} label;

static int by_text(const void *a, const void *b)
{
    const label *x = a, *y = b;
    int order = strcmp(x->text, y->text);
    return order ? order : (x->query > y->query) - (x->query < y->query);
}

categories load_categories(size_t n)
{
    const char *path = opt.categories;
    categories c = {.of = take(n, sizeof *c.of), .names = take(n, sizeof *c.names)};
    label *sorted = take(n, sizeof *sorted);
    if (is_npy(path)) {
        const locus_array *a = open_integers("--categories", path, n);
        for (size_t i = 0; i < n; ++i) sorted[i].text = phrase("%lld", (long long)integer_at(a, i));
    } else if (has_ending(path, ".jsonl") || has_ending(path, ".ndjson")) {
        const locus_texts *t = &tool.labels;
        must_file(locus_texts_open(&tool.labels, path, NULL, &tool.err), "--categories", path);
        for (size_t i = 0; i < t->count; ++i) {
            if (t->texts[i] && !*t->categories[i]) fail("--categories %s: query %zu has no \"category\"", path, i);
            if (i < n) sorted[i].text = t->categories[i];
        }
        if (t->count != n)
            fail("--categories %s: expected %zu entries (the rows of --encodings), found %zu", path, n, t->count);
    } else {
        char **lines = read_lines("--categories", path, n, "entries");
        for (size_t i = 0; i < n; ++i) sorted[i].text = lines[i];
    }
    for (size_t i = 0; i < n; ++i) sorted[i].query = i;
    qsort(sorted, n, sizeof *sorted, by_text);
    for (size_t i = 0; i < n; ++i) {
        if (i == 0 || strcmp(sorted[i].text, sorted[i - 1].text) != 0) c.names[c.count++] = sorted[i].text;
        c.of[sorted[i].query] = (int32_t)(c.count - 1);
    }
    return c;
}
