// SPDX-License-Identifier: MIT
// The real evaluations as the programs of `make reproduce` use them: arrays, splits, pools, what a job may see, and a
// few statistics. Included after locus.h and baselines.h.
#ifndef LOCUS_BENCH_DATASET_H
#define LOCUS_BENCH_DATASET_H

enum { MAX_POOL = 64 };

// ------------------------------------------------------------------------------------------------------------ helpers

BASE_FN double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
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

static char *next_field(char **at)
{
    char *field = *at, *comma = field ? strchr(field, ',') : NULL;
    if (comma) *comma = '\0';
    *at = comma ? comma + 1 : NULL;
    return field;
}

// Takes in what the file has beyond what was read; a line that is not whole is left for the next time.
// --------------------------------------------------------------------------------------------------------------- data

typedef struct split_rows {
    size_t count, *columns;
    float *enc; // [count, dim]
} split_rows;

typedef struct dataset {
    size_t models, queries, dim;
    unsigned char *scores; // [models, queries]
    char names[MAX_POOL][64];
    int32_t *category; // [queries], -1: unknown
    split_rows part[3];
} dataset;

static void open_array(locus_array *a, const char *folder, const char *name)
{
    char path[512];
    locus_error err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    check(locus_npy_open(a, path, &err), &err);
}

static FILE *open_text(const char *folder, const char *name)
{
    char path[512];
    FILE *f;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "r");
    if (!f) die(path, strerror(errno));
    return f;
}

static void read_names(dataset *d, const char *folder)
{
    FILE *f = open_text(folder, "models.csv");
    char line[512];
    if (!fgets(line, sizeof line, f)) die("models.csv", "is empty");
    for (size_t m = 0; m < d->models; m++) {
        char *at = line, *name = NULL;
        if (!fgets(line, sizeof line, f) || !next_field(&at) || !(name = next_field(&at)))
            die("models.csv", "has too few lines");
        snprintf(d->names[m], sizeof d->names[m], "%.63s", name);
    }
    fclose(f);
}

static void read_categories(dataset *d, const char *folder) // "category": "..." of every line
{
    FILE *f = open_text(folder, "queries.jsonl");
    static char line[1 << 17];
    char known[64][48];
    int32_t count = 0;
    for (size_t i = 0; i < d->queries; i++) {
        char *at, *end;
        int32_t c = 0;
        d->category[i] = -1;
        if (!fgets(line, sizeof line, f)) break;
        at = strstr(line, "\"category\": \"");
        if (!at || !(end = strchr(at + 13, '"'))) continue;
        *end = '\0';
        while (c < count && strcmp(known[c], at + 13) != 0) c++;
        if (c == count && count < 64) snprintf(known[count++], sizeof known[0], "%.47s", at + 13);
        d->category[i] = c;
    }
    fclose(f);
}

static void load(dataset *d, const char *folder)
{
    locus_array scores, encodings, split;
    locus_error err = {0};
    open_array(&scores, folder, "scores.npy");
    open_array(&encodings, folder, "encodings.npy");
    open_array(&split, folder, "split.npy");
    d->models = scores.shape[0];
    d->queries = scores.shape[1];
    d->dim = encodings.shape[1];
    if (scores.dtype != LOCUS_U8 || split.dtype != LOCUS_U8 || scores.rank != 2 || encodings.rank != 2 ||
        encodings.shape[0] != d->queries || split.count != d->queries || d->models > MAX_POOL)
        die(folder, "arrays do not belong together");
    d->scores = (unsigned char *)base_alloc(scores.count, 1);
    memcpy(d->scores, scores.data, scores.count);
    d->category = (int32_t *)base_alloc(d->queries, sizeof *d->category);
    for (size_t p = 0; p < 3; p++) {
        split_rows *rows = &d->part[p];
        rows->columns = (size_t *)base_alloc(d->queries, sizeof *rows->columns);
        for (size_t i = 0; i < d->queries; i++)
            if (((const unsigned char *)split.data)[i] == p) rows->columns[rows->count++] = i;
        rows->enc = base_floats(rows->count * d->dim);
        for (size_t i = 0; i < rows->count; i++)
            check(locus_array_to_f32(&encodings, rows->columns[i] * d->dim, d->dim, rows->enc + i * d->dim, &err),
                  &err);
    }
    locus_array_close(&scores);
    locus_array_close(&encodings);
    locus_array_close(&split);
    read_names(d, folder);
    read_categories(d, folder);
}

// -------------------------------------------------------------------------------------------------------------- pools

typedef struct pool {
    const char *name;
    size_t count, members[MAX_POOL]; // rows of the data set
} pool;

static const char *const strongest[] = {"unnamed-merged-2026-02-20",  "MiniMax-M2.5-nvfp4",   "GPT-4o",
                                        "gemini-1.5-pro-002",         "gemini-1.5-flash-002", "DeepSeek-Coder-V2",
                                        "Meta-Llama-3_1-70B-Instruct"};

// Families that are held out whole; "others" are all models of makers with one or two models here.
static const char *const families[] = {"Llama", "Mistral", "Qwen", "Yi", "others"};
enum { FAMILIES = (int)(sizeof families / sizeof *families) };

BASE_FN size_t family_of(const char *name)
{
    if (strstr(name, "Llama")) return 0;
    if (strstr(name, "Mistral") || strstr(name, "Mixtral") || strstr(name, "mathstral")) return 1;
    if (strstr(name, "Qwen")) return 2;
    return strncmp(name, "Yi", 2) == 0 ? 3 : 4;
}

static void make_pools(const dataset *d, pool pools[2])
{
    memset(pools, 0, 2 * sizeof *pools);
    pools[0].name = "open26";
    pools[1].name = "all33";
    for (size_t m = 0; m < d->models; m++) {
        int strong = 0;
        for (size_t i = 0; i < sizeof strongest / sizeof *strongest; i++) strong |= !strcmp(d->names[m], strongest[i]);
        if (!strong) pools[0].members[pools[0].count++] = m;
        pools[1].members[pools[1].count++] = m;
    }
}

// out[count, n] <- scores of these models on these columns
static unsigned char *gather(const dataset *d, const size_t *models, size_t count, const size_t *columns, size_t n)
{
    unsigned char *out = (unsigned char *)base_alloc(count * n, 1);
    for (size_t m = 0; m < count; m++)
        for (size_t i = 0; i < n; i++) out[m * n + i] = d->scores[models[m] * d->queries + columns[i]];
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
    unsigned char *scores, *val_scores; // of the models that are fitted
} evaluations;

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
        e->category[i] = d->category[e->columns[i]];
        memcpy(e->enc + i * d->dim, train->enc + order[i] * d->dim, d->dim * sizeof *e->enc);
    }
    e->scores = gather(d, models, count, e->columns, e->rows);
    e->val_scores = gather(d, models, count, val->columns, val->count);
    memset(b, 0, sizeof *b);
    b->models = count;
    b->rows = e->rows;
    b->dim = d->dim;
    b->enc = e->enc;
    b->scores = e->scores;
    b->columns = e->columns;
    b->category = e->category;
    b->val_rows = val->count;
    b->val_enc = val->enc;
    b->val_scores = e->val_scores;
    b->free_rows = train->count;
    b->free_enc = train->enc;
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

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

BASE_FN double median_of(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_doubles);
    return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

static double pearson(const double *x, const double *y, size_t n)
{
    double mx = 0.0, my = 0.0, xx = 0.0, yy = 0.0, xy = 0.0;
    for (size_t i = 0; i < n; i++) mx += x[i] / (double)n, my += y[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    return xx > 0.0 && yy > 0.0 ? xy / sqrt(xx * yy) : NAN;
}

static void ranks_of(const double *x, size_t n, double *rank) // equal values share their mean rank
{
    for (size_t i = 0; i < n; i++) {
        double below = 0.0, same = 0.0;
        for (size_t j = 0; j < n; j++) {
            below += x[j] < x[i];
            same += x[j] <= x[i] && x[j] >= x[i];
        }
        rank[i] = below + 0.5 * (same - 1.0);
    }
}

BASE_FN double spearman(const double *x, const double *y, size_t n)
{
    double *rx = (double *)base_alloc(2 * n, sizeof *rx), r;
    ranks_of(x, n, rx);
    ranks_of(y, n, rx + n);
    r = pearson(rx, rx + n, n);
    free(rx);
    return r;
}

BASE_FN double kendall(const double *x, const double *y, size_t n) // tau-b
{
    double s = 0.0, tx = 0.0, ty = 0.0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            const double a = (double)((x[i] > x[j]) - (x[i] < x[j])), b = (double)((y[i] > y[j]) - (y[i] < y[j]));
            s += a * b;
            tx += a * a;
            ty += b * b;
        }
    }
    return tx > 0.0 && ty > 0.0 ? s / sqrt(tx * ty) : NAN;
}

// Correlation of x and y with what both owe to z taken out.
BASE_FN double partial(const double *x, const double *y, const double *z, size_t n)
{
    const double xy = pearson(x, y, n), xz = pearson(x, z, n), yz = pearson(y, z, n);
    return (xy - xz * yz) / sqrt((1.0 - xz * xz) * (1.0 - yz * yz));
}

BASE_FN double mean_score(const unsigned char *y, size_t n)
{
    double sum = 0.0, count = 0.0;
    for (size_t i = 0; i < n; i++) {
        if (y[i] == BASE_MISSING) continue;
        sum += (double)y[i];
        count += 1.0;
    }
    return count > 0.0 ? sum / count : 0.0;
}

BASE_FN double disagreement(const unsigned char *a, const unsigned char *b, size_t n)
{
    double differ = 0.0, count = 0.0;
    for (size_t i = 0; i < n; i++) {
        if (a[i] == BASE_MISSING || b[i] == BASE_MISSING) continue;
        differ += a[i] != b[i];
        count += 1.0;
    }
    return count > 0.0 ? differ / count : 0.0;
}

BASE_FN double cosine_distance(const float *a, const float *b, size_t n)
{
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return 1.0 - ab / sqrt(aa * bb + 1e-300);
}

BASE_FN double euclidean_distance(const float *a, const float *b, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum);
}

#endif
