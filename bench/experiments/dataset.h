// SPDX-License-Identifier: MIT
// Real evaluations as the programs of `make reproduce` use them: a folder with conventional names, its models and
// queries, and what a job may see. Included after locus.h and baselines.h.
//
//     scores_float.npy or scores.npy   [models, queries] in [0, 1], NaN missing; or bytes 0, 1, 255 missing
//     split.npy                        [queries] bytes: 0 training, 1 validation, 2 test
//     encodings.npy or queries.jsonl   [queries, dim]; without it our own text encoder, learned from the training texts
//     models.csv                       column name; optional shots, usd_in_per_m, usd_out_per_m; or no such file
//     costs.npy                        [models, queries], optional, in place of prices and texts' lengths
#ifndef LOCUS_BENCH_DATASET_H
#define LOCUS_BENCH_DATASET_H

#include <sys/stat.h>

enum { MAX_POOL = 512, OUTPUT_TOKENS = 10 }; // tokens that an answer is billed with: a label

// ------------------------------------------------------------------------------------------------------------ helpers

BASE_FN double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

BASE_FN double processor_seconds(void) // of this process: what a job costs, whatever else the machine does
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "reproduce: %s: %s\n", what, why);
    exit(1);
}

static void check(locus_status status, const locus_error *err)
{
    if (status) die(locus_status_name(status), err->message);
}

static char *next_field(char **at) // of a line of comma-separated values; "quoted" fields lose their quotes
{
    char *field = *at, *end = field;
    if (!field) return NULL;
    if (*field == '"' && (end = strchr(field + 1, '"')) != NULL) {
        *end++ = '\0';
        field++;
    } else {
        end = field + strcspn(field, ",");
    }
    *at = *end == ',' ? end + 1 : NULL;
    *end = '\0';
    return field;
}

// --------------------------------------------------------------------------------------------------------------- data

typedef struct split_rows {
    size_t count, *columns;
    float *enc; // [count, dim]
    int32_t *category;
} split_rows;

typedef struct dataset {
    size_t models, queries, dim, categories;
    int graded;    // there are scores besides 0 and 1
    float *scores; // [models, queries], NaN: missing
    char (*names)[64];
    int *shots;        // [models], -1: unknown
    float *costs;      // [models, queries] in USD, NaN: unknown; NULL: no model has a price
    int32_t *category; // [queries], -1: unknown
    split_rows part[3];
} dataset;

static int open_array(locus_array *a, const char *folder, const char *name, int optional)
{
    char path[512];
    locus_error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (optional && access(path, R_OK) != 0) return 1;
    check(locus_npy_open(a, path, &err), &err);
    return 0;
}

// Column of the table's first line, or SIZE_MAX.
static size_t column_of(const char *head, const char *name)
{
    char line[2048], *at = line, *field;
    snprintf(line, sizeof line, "%.2047s", head);
    line[strcspn(line, "\r\n")] = '\0';
    for (size_t c = 0; (field = next_field(&at)) != NULL; c++)
        if (strcmp(field, name) == 0) return c;
    return SIZE_MAX;
}

// models.csv; price[models, 2] <- USD per million tokens in and out, NaN: unknown
static void read_models(dataset *d, const char *folder, double *price)
{
    static char head[2048], line[4096];
    char path[512];
    size_t columns[4];
    FILE *f;
    d->names = (char(*)[64])base_alloc(d->models, sizeof *d->names);
    d->shots = (int *)base_alloc(d->models, sizeof *d->shots);
    for (size_t m = 0; m < d->models; m++) {
        snprintf(d->names[m], sizeof d->names[m], "model-%u", (unsigned)m);
        d->shots[m] = -1;
        price[2 * m] = price[2 * m + 1] = (double)NAN;
    }
    snprintf(path, sizeof path, "%s/models.csv", folder);
    f = fopen(path, "r");
    if (!f) return;
    if (!fgets(head, sizeof head, f)) die(path, "is empty");
    columns[0] = column_of(head, "name");
    columns[1] = column_of(head, "shots");
    columns[2] = column_of(head, "usd_in_per_m");
    columns[3] = column_of(head, "usd_out_per_m");
    for (size_t m = 0; m < d->models; m++) {
        char *at = line, *field;
        if (!fgets(line, sizeof line, f)) die(path, "has too few lines");
        line[strcspn(line, "\r\n")] = '\0';
        for (size_t c = 0; (field = next_field(&at)) != NULL; c++) {
            if (c == columns[0]) snprintf(d->names[m], sizeof d->names[m], "%.63s", field);
            if (c == columns[1] && *field) d->shots[m] = atoi(field);
            if (c == columns[2] && *field) price[2 * m] = strtod(field, NULL);
            if (c == columns[3] && *field) price[2 * m + 1] = strtod(field, NULL);
        }
    }
    fclose(f);
}

// The scores as floats, whatever the file has.
static void read_scores(dataset *d, const char *folder)
{
    locus_array a;
    if (open_array(&a, folder, "scores_float.npy", 1)) open_array(&a, folder, "scores.npy", 0);
    if (a.rank != 2 || a.shape[0] < 2 || a.shape[0] > MAX_POOL || (a.dtype != LOCUS_U8 && a.dtype != LOCUS_F32))
        die(folder, "scores: expected bytes or float32 [2 to 512 models, queries]");
    d->models = a.shape[0];
    d->queries = a.shape[1];
    d->scores = base_floats(a.count);
    for (size_t i = 0; i < a.count; i++) {
        if (a.dtype == LOCUS_U8) {
            const unsigned char y = ((const unsigned char *)a.data)[i];
            d->scores[i] = y == 255 ? NAN : (float)y;
        } else {
            d->scores[i] = ((const float *)a.data)[i];
        }
        if (d->scores[i] < 0.0f || d->scores[i] > 1.0f) die(folder, "scores: expected 0 to 1");
        d->graded |= d->scores[i] > 0.0f && d->scores[i] < 1.0f;
    }
    locus_array_close(&a);
}

// category[queries] <- numbers of the names, in order of first appearance
static void read_categories(dataset *d, const locus_texts *texts)
{
    const char **known = (const char **)base_alloc(d->queries, sizeof *known);
    for (size_t i = 0; i < d->queries; i++) {
        const char *name = texts->categories[i];
        size_t c = 0;
        if (!*name) continue;
        while (c < d->categories && strcmp(known[c], name) != 0) c++;
        if (c == d->categories) known[d->categories++] = name;
        d->category[i] = (int32_t)c;
    }
    free(known);
}

// enc[queries, 128] <- by the text encoder learned from the training texts, as `locus train --text` does. Kept in
// `cache`, under a hash of the texts and of the fingerprint of the table-free encoder: a locus.h that reads texts in
// another way makes its own.
static void encode_texts(dataset *d, const locus_texts *texts, const unsigned char *split, const char *cache,
                         const char *name, float **enc)
{
    const char **train = (const char **)base_alloc(d->queries, sizeof *train);
    size_t *bytes = (size_t *)base_alloc(d->queries, sizeof *bytes), count = 0, shape[2];
    locus_text bare, *learned;
    char print[LOCUS_TEXT_NAME_BYTES], path[600];
    locus_error err = {0};
    locus_array kept;
    uint64_t hash = 1469598103934665603u;
    memset(&bare, 0, sizeof bare);
    bare.dim = d->dim = 128;
    check(locus_text_name(&bare, print, &err), &err);
    for (const char *c = print; *c; c++) hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    for (size_t i = 0; i < d->queries; i++) {
        if (!texts->texts[i]) die(name, "a query has no text");
        for (const char *c = texts->texts[i]; *c; c++) hash = (hash ^ (unsigned char)*c) * 1099511628211u;
        if (split[i] != 0) continue;
        train[count] = texts->texts[i];
        bytes[count++] = texts->bytes[i];
    }
    snprintf(path, sizeof path, "%.400s/%.64s.%016llx.npy", cache, name, (unsigned long long)hash);
    *enc = base_floats(d->queries * d->dim);
    if (access(path, R_OK) == 0) {
        check(locus_npy_open(&kept, path, &err), &err);
        if (kept.count != d->queries * d->dim) die(path, "is of other data: delete it");
        check(locus_array_to_f32(&kept, 0, kept.count, *enc, &err), &err);
        locus_array_close(&kept);
    } else {
        fprintf(stderr, "%s: learning the text encoder from %u texts\n", name, (unsigned)count);
        check(locus_text_train(&learned, train, bytes, count, NULL, NULL, &err), &err);
        for (size_t i = 0; i < d->queries; i++)
            check(locus_encode_text(learned, texts->texts[i], texts->bytes[i], *enc + i * d->dim, NULL, &err), &err);
        locus_text_destroy(learned);
        shape[0] = d->queries;
        shape[1] = d->dim;
        check(locus_npy_save(path, LOCUS_F32, shape, 2, *enc, &err), &err);
    }
    free(train);
    free(bytes);
}

// By query and model, from prices: four characters a token in, OUTPUT_TOKENS out.
static void make_costs(dataset *d, const char *folder, const locus_texts *texts, const double *price)
{
    locus_array a;
    int some = 0;
    locus_error err = {0};
    d->costs = base_floats(d->models * d->queries);
    if (!open_array(&a, folder, "costs.npy", 1)) {
        if (a.count != d->models * d->queries) die(folder, "costs.npy: expected [models, queries]");
        check(locus_array_to_f32(&a, 0, a.count, d->costs, &err), &err);
        locus_array_close(&a);
        return;
    }
    for (size_t i = 0; i < d->queries && texts; i++) {
        double characters = 0.0;
        for (const char *c = texts->texts[i]; c && *c; c++) characters += (*c & 0xC0) != 0x80; // not amid a character
        for (size_t m = 0; m < d->models; m++) {
            const double in = price[2 * m], out = price[2 * m + 1];
            d->costs[m * d->queries + i] = (float)((characters / 4.0 * in + OUTPUT_TOKENS * out) / 1e6);
            some |= !isnan(in) && !isnan(out);
        }
    }
    if (some) return;
    free(d->costs);
    d->costs = NULL;
}

// cache: a folder for what is costly to make; name: of the data there
static void load(dataset *d, const char *folder, const char *cache, const char *name)
{
    locus_array encodings, split;
    locus_texts texts;
    locus_error err = {0};
    char path[512];
    double *price;
    float *enc = NULL;
    const unsigned char *part;
    int has_texts;
    memset(d, 0, sizeof *d);
    read_scores(d, folder);
    price = (double *)base_alloc(2 * d->models, sizeof *price);
    read_models(d, folder, price);
    open_array(&split, folder, "split.npy", 0);
    if (split.dtype != LOCUS_U8 || split.count != d->queries) die(folder, "split.npy: expected a byte for each query");
    part = (const unsigned char *)split.data;
    snprintf(path, sizeof path, "%s/queries.jsonl", folder);
    has_texts = access(path, R_OK) == 0;
    d->category = (int32_t *)base_alloc(d->queries, sizeof *d->category);
    for (size_t i = 0; i < d->queries; i++) d->category[i] = -1;
    if (has_texts) {
        check(locus_texts_open(&texts, path, NULL, &err), &err);
        if (texts.count != d->queries) die(path, "expected a line for each query");
        read_categories(d, &texts);
    }
    if (!open_array(&encodings, folder, "encodings.npy", 1)) {
        if (encodings.rank != 2 || encodings.shape[0] != d->queries)
            die(folder, "encodings.npy: expected [queries, dim]");
        d->dim = encodings.shape[1];
        enc = base_floats(encodings.count);
        check(locus_array_to_f32(&encodings, 0, encodings.count, enc, &err), &err);
        locus_array_close(&encodings);
    } else if (has_texts) {
        encode_texts(d, &texts, part, cache, name, &enc);
    } else {
        die(folder, "has neither encodings.npy nor queries.jsonl");
    }
    make_costs(d, folder, has_texts ? &texts : NULL, price);
    for (unsigned char p = 0; p < 3; p++) {
        split_rows *rows = &d->part[p];
        rows->columns = (size_t *)base_alloc(d->queries, sizeof *rows->columns);
        for (size_t i = 0; i < d->queries; i++)
            if (part[i] == p) rows->columns[rows->count++] = i;
        rows->enc = base_floats(rows->count * d->dim);
        rows->category = (int32_t *)base_alloc(rows->count, sizeof *rows->category);
        for (size_t i = 0; i < rows->count; i++) {
            memcpy(rows->enc + i * d->dim, enc + rows->columns[i] * d->dim, d->dim * sizeof *enc);
            rows->category[i] = d->category[rows->columns[i]];
        }
    }
    if (has_texts) locus_texts_close(&texts);
    locus_array_close(&split);
    free(enc);
    free(price);
}

// -------------------------------------------------------------------------------------------------------------- pools

typedef struct pool {
    const char *name;
    size_t count, members[MAX_POOL]; // rows of the data set
} pool;

static const char *const strongest[] = {"unnamed-merged-2026-02-20",  "MiniMax-M2.5-nvfp4",   "GPT-4o",
                                        "gemini-1.5-pro-002",         "gemini-1.5-flash-002", "DeepSeek-Coder-V2",
                                        "Meta-Llama-3_1-70B-Instruct"};

static int is_open(const dataset *d, size_t model) // of MMLU-Pro: not one of the seven strongest
{
    for (size_t i = 0; i < sizeof strongest / sizeof *strongest; i++)
        if (strcmp(d->names[model], strongest[i]) == 0) return 0;
    return 1;
}

BASE_FN void make_pools(const dataset *d, pool pools[2])
{
    memset(pools, 0, 2 * sizeof *pools);
    pools[0].name = "open26";
    pools[1].name = "all33";
    for (size_t m = 0; m < d->models; m++) {
        if (is_open(d, m)) pools[0].members[pools[0].count++] = m;
        pools[1].members[pools[1].count++] = m;
    }
}

// out[count, n] <- scores of these models on these columns
static float *gather_scores(const dataset *d, const size_t *models, size_t count, const size_t *columns, size_t n)
{
    float *out = base_floats(count * n);
    for (size_t m = 0; m < count; m++)
        for (size_t i = 0; i < n; i++) out[m * n + i] = d->scores[models[m] * d->queries + columns[i]];
    return out;
}

// The same as bytes: right or not, 255 missing.
BASE_FN unsigned char *gather(const dataset *d, const size_t *models, size_t count, const size_t *columns, size_t n)
{
    float *y = gather_scores(d, models, count, columns, n);
    unsigned char *out = (unsigned char *)base_alloc(count * n, 1);
    for (size_t i = 0; i < count * n; i++) out[i] = isnan(y[i]) ? 255 : y[i] > 0.5f;
    free(y);
    return out;
}

// The evaluated queries of (seed): places in the training part, the first N count.
static void draw_anchors(const dataset *d, size_t seed, size_t *order)
{
    uint64_t r = 0x10C05u + seed;
    for (size_t i = 0; i < d->part[0].count; i++) order[i] = i;
    base_shuffle(order, d->part[0].count, &r);
}

typedef struct evaluations { // what a job may see
    size_t rows, *columns;
    float *enc;
    int32_t *category;
    float *scores, *val_scores; // of the models that are fitted
} evaluations;

BASE_FN base_queries queries_of(const split_rows *part)
{
    base_queries q;
    q.count = part->count;
    q.enc = part->enc;
    q.category = part->category;
    return q;
}

static void make_evaluations(const dataset *d, const size_t *models, size_t count, size_t rows, size_t seed,
                             evaluations *e, base_data *b)
{
    const split_rows *train = &d->part[0], *val = &d->part[1];
    size_t *order = (size_t *)base_alloc(train->count, sizeof *order);
    draw_anchors(d, seed, order);
    e->rows = rows < train->count ? rows : train->count;
    e->columns = (size_t *)base_alloc(e->rows, sizeof *e->columns);
    e->category = (int32_t *)base_alloc(e->rows, sizeof *e->category);
    e->enc = base_floats(e->rows * d->dim);
    for (size_t i = 0; i < e->rows; i++) {
        e->columns[i] = train->columns[order[i]];
        e->category[i] = train->category[order[i]];
        memcpy(e->enc + i * d->dim, train->enc + order[i] * d->dim, d->dim * sizeof *e->enc);
    }
    e->scores = gather_scores(d, models, count, e->columns, e->rows);
    e->val_scores = gather_scores(d, models, count, val->columns, val->count);
    memset(b, 0, sizeof *b);
    b->models = count;
    b->dim = d->dim;
    b->categories = d->categories;
    b->train.count = e->rows;
    b->train.enc = e->enc;
    b->train.category = e->category;
    b->scores = e->scores;
    b->val = queries_of(val);
    b->val_scores = e->val_scores;
    b->all = queries_of(train);
    b->seed = 1000 + seed;
    free(order);
}

static void free_evaluations(evaluations *e)
{
    free(e->columns);
    free(e->category);
    free(e->enc);
    free(e->scores);
    free(e->val_scores);
}

BASE_FN int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

BASE_FN double median_of(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_doubles);
    return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

BASE_FN double mean_score(const unsigned char *y, size_t n)
{
    double sum = 0.0, count = 0.0;
    for (size_t i = 0; i < n; i++) {
        if (y[i] == 255) continue;
        sum += (double)y[i];
        count += 1.0;
    }
    return count > 0.0 ? sum / count : 0.0;
}

BASE_FN double disagreement(const unsigned char *a, const unsigned char *b, size_t n)
{
    double differ = 0.0, count = 0.0;
    for (size_t i = 0; i < n; i++) {
        if (a[i] == 255 || b[i] == 255) continue;
        differ += a[i] != b[i];
        count += 1.0;
    }
    return count > 0.0 ? differ / count : 0.0;
}

#endif
