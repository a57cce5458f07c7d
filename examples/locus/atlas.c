// SPDX-License-Identifier: MIT
// locus atlas: the pool as one HTML page that needs nothing else. The page is atlas.html, here as the strings of
// atlas_page.c; this computes the data, one JSON object, and puts it in its place.

#include "locus_tool.h"
#include "pictures.h"

enum { ATLAS_NEAR = 10, ATLAS_CLUSTERS = 12, ATLAS_RESAMPLES = 32 };

#define ATLAS_CELLS ((size_t)1 << 26) // models x queries: a page of 90 MB

typedef struct atlas {
    FILE *f;
    sample x;
    size_t near; // how many neighbours of each model
    locus_points points;
    view shown; // what map and clusters go by
    clustering clusters;
    size_t *medoids;
    float *map, *principal; // [models, 2]
    double share[2];        // of the variance, of the two components
    locus_neighbour *nearest, *alike;
    // Of each model `resamples` versions; 0: no evaluations given.
    size_t resamples;
    float *versions, *version_profiles; // [models, resamples, z_dim], [models, resamples, queries]
    unsigned char *resampled;           // [models] 0: has no evaluations
} atlas;

// No text ends the element or the line: what means something to HTML or to JavaScript's lines is escaped.
static void atlas_text(FILE *f, const char *text)
{
    fputc('"', f);
    while (*text) {
        size_t n = utf8_bytes(text);
        const unsigned char *c = (const unsigned char *)text;
        if (n == 0) fputs("\\ufffd", f);
        else if (*c == '"' || *c == '\\') fprintf(f, "\\%c", *c);
        else if (n == 1 && (*c < 0x20 || strchr("<>&'\x7F", *c))) fprintf(f, "\\u%04x", (unsigned)*c);
        else if (n == 3 && c[0] == 0xE2 && c[1] == 0x80 && (c[2] & 0xFE) == 0xA8) fprintf(f, "\\u20%02x", c[2] - 0x80u);
        else fwrite(text, 1, n, f);
        text += n ? n : 1;
    }
    fputc('"', f);
}

static void atlas_number(FILE *f, double value, int digits)
{
    if (is_finite(value)) fprintf(f, "%.*g", digits, value);
    else fputs("null", f);
}

static void atlas_bounds(FILE *f, size_t at, locus_interval interval, double low, double high)
{
    if (at) fputc(',', f);
    atlas_number(f, interval.low < low ? low : interval.low, 4);
    fputc(',', f);
    atlas_number(f, interval.high > high ? high : interval.high, 4);
}

static void atlas_indices(FILE *f, const char *name, const size_t *values, size_t count)
{
    fprintf(f, ",\n\"%s\":[", name);
    for (size_t i = 0; i < count; ++i) fprintf(f, "%s%zu", i ? "," : "", values[i]);
    fputc(']', f);
}

static void atlas_base64(FILE *f, const unsigned char *bytes, size_t count)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < count; i += 3) {
        size_t left = count - i;
        unsigned v =
            (unsigned)bytes[i] << 16 | (left > 1 ? (unsigned)bytes[i + 1] << 8 : 0u) | (left > 2 ? bytes[i + 2] : 0u);
        fputc(digits[v >> 18], f);
        fputc(digits[v >> 12 & 63], f);
        fputc(left > 1 ? digits[v >> 6 & 63] : '=', f);
        fputc(left > 2 ? digits[v & 63] : '=', f);
    }
}

// Versions of every model from resampled evaluations: --evaluated (or --encodings) and --scores.
static int atlas_resample(session *s, atlas *a)
{
    const options *o = &s->opt;
    const locus_array *table = a->x.array, *y = NULL;
    const size_t m = a->x.models, dim = a->points.dim;
    const char *table_flag = o->evaluated ? "--evaluated" : "--encodings";
    size_t *rows = NULL;
    char meaning[80], found[240];
    locus_queries queries;
    locus_resample_opts opts;
    grades g;
    locus_run run = run_of(s);
    run.progress = NULL;
    memset(&opts, 0, sizeof opts);
    snprintf(meaning, sizeof meaning, "[queries, %zu]", s->info.q_dim);
    if (o->evaluated && open_array(s, table_flag, o->evaluated, 2, meaning, &table)) return FAILED;
    if (table->shape[1] != s->info.q_dim)
        return fail(s, "%s %s: expected %s (the q_dim of the net), found %s", table_flag, o->evaluated, meaning,
                    shape_text(table->shape, 2, found));
    if (float_queries(s, table_flag, o->evaluated ? o->evaluated : o->encodings, table, &queries)) return FAILED;
    if (open_grades(s, "--scores", o->scores, &y)) return FAILED;
    const size_t n = queries.count;
    if (y->shape[1] != n)
        return fail(s, "--scores %s: expected [models, %zu] (the rows of %s), found %s", o->scores, n, table_flag,
                    shape_text(y->shape, 2, found));
    if (match_models(s, y->shape[0], &rows) || pick_grades(s, y, rows, m, NULL, n, &g)) return FAILED;
    opts.count = a->resamples = o->resamples ? o->resamples : (size_t)ATLAS_RESAMPLES;
    opts.seed = 1;
    if (opts.count > SIZE_MAX / sizeof(float) / (a->x.n + dim) / (m + 1)) return fail(s, "out of memory");
    a->versions = (float *)take(s, m, opts.count * dim * sizeof(float));
    a->version_profiles = (float *)take(s, m, opts.count * a->x.n * sizeof(float));
    a->resampled = (unsigned char *)take(s, m, 1);
    if (!a->versions || !a->version_profiles || !a->resampled) return FAILED;
    progress_begin(s, "resample");
    for (size_t i = 0; i < m; ++i) {
        locus_evals evals;
        locus_pool *redrawn = NULL;
        size_t answers = 0;
        for (size_t q = 0; q < n; ++q) answers += !is_missing(&g, i, q);
        if (answers < 2) continue;
        memset(&evals, 0, sizeof evals);
        evals.queries = queries;
        evals.scores.models = 1;
        evals.scores.f32 = g.f32 ? g.f32 + i * n : NULL;
        evals.scores.u8 = g.u8 ? g.u8 + i * n : NULL;
        int bad = locus_pool_resample(&redrawn, s->pool, &evals, &opts, &run, &s->err) != LOCUS_OK;
        bad = bad || locus_profiles(redrawn, &a->x.queries, NULL, a->version_profiles + i * opts.count * a->x.n, &run,
                                    &s->err) != LOCUS_OK;
        for (size_t r = 0; !bad && r < opts.count; ++r)
            memcpy(a->versions + (i * opts.count + r) * dim, locus_pool_embedding(redrawn, r), dim * sizeof(float));
        locus_pool_destroy(redrawn);
        if (bad) {
            progress_end(s);
            return fail(s, "--scores %s: %s: %s", o->scores, model_name(s, i), s->err.message);
        }
        a->resampled[i] = 1;
        progress(s, i + 1, m);
    }
    progress_end(s);
    return DONE;
}

static double atlas_cosine(const float *x, const float *y, size_t n)
{
    double xx = 0.0, yy = 0.0, xy = 0.0;
    for (size_t i = 0; i < n; ++i) {
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
        xy += (double)x[i] * (double)y[i];
    }
    return xx > 0.0 && yy > 0.0 ? 1.0 - xy / sqrt(xx * yy) : 1.0;
}

static double atlas_agreement(const float *p, const float *q, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; ++i) {
        double a = (double)p[i], b = (double)q[i];
        sum += a * b + (1.0 - a) * (1.0 - b);
    }
    return sum / (double)n;
}

// Mean of a profile over the queries of a category; SIZE_MAX: over all.
static double atlas_mean(const atlas *a, const float *profile, size_t category)
{
    double sum = 0.0, count = 0.0;
    for (size_t q = 0; q < a->x.n; ++q)
        if (category == SIZE_MAX || a->x.category[q] == (int32_t)category) {
            sum += (double)profile[q];
            count += 1.0;
        }
    return count > 0.0 ? sum / count : NAN;
}

static locus_interval atlas_no_interval(void)
{
    locus_interval none;
    none.value = none.low = none.high = NAN;
    return none;
}

static void atlas_neighbour_intervals(const atlas *a, const char *name, const locus_neighbour *list, int agreement,
                                      double *values)
{
    fprintf(a->f, ",\n\"%s\":[", name);
    for (size_t at = 0; at < a->x.models * a->near; ++at) {
        size_t i = at / a->near, j = list[at].index, dim = agreement ? a->x.n : a->points.dim;
        const float *rows = agreement ? a->version_profiles : a->versions;
        locus_interval interval = atlas_no_interval();
        if (j != SIZE_MAX && a->resampled[i] && a->resampled[j]) {
            for (size_t r = 0; r < a->resamples; ++r) {
                const float *x = rows + (i * a->resamples + r) * dim, *y = rows + (j * a->resamples + r) * dim;
                values[r] = agreement ? atlas_agreement(x, y, dim) : atlas_cosine(x, y, dim);
            }
            double value = agreement ? atlas_agreement(a->x.profiles.rows + i * dim, a->x.profiles.rows + j * dim, dim)
                                     : (double)list[at].distance;
            interval = locus_interval_of(value, values, a->resamples, 0.9);
        }
        atlas_bounds(a->f, at, interval, 0.0, agreement ? 1.0 : 2.0);
    }
    fputc(']', a->f);
}

static int atlas_intervals(session *s, const atlas *a)
{
    FILE *f = a->f;
    double *values = (double *)take(s, a->resamples + 1, sizeof *values);
    if (!values) return FAILED;
    if (!a->resamples) {
        fprintf(f, ",\n\"intervals\":null");
        return DONE;
    }
    fprintf(f, ",\n\"intervals\":{\"level\":0.9,\"resamples\":%zu", a->resamples);
    for (int by_category = 0; by_category < 2; ++by_category) {
        size_t columns = by_category ? a->x.categories : 1;
        fprintf(f, ",\n\"%s\":[", by_category ? "category" : "accuracy");
        for (size_t at = 0; at < a->x.models * columns; ++at) {
            size_t i = at / columns, c = by_category ? at % columns : SIZE_MAX;
            locus_interval interval = atlas_no_interval();
            for (size_t r = 0; r < a->resamples; ++r)
                values[r] = atlas_mean(a, a->version_profiles + (i * a->resamples + r) * a->x.n, c);
            if (a->resampled[i])
                interval =
                    locus_interval_of(atlas_mean(a, a->x.profiles.rows + i * a->x.n, c), values, a->resamples, 0.9);
            atlas_bounds(f, at, interval, 0.0, 1.0);
        }
        fputc(']', f);
    }
    atlas_neighbour_intervals(a, "nearest", a->nearest, 0, values);
    atlas_neighbour_intervals(a, "alike", a->alike, 1, values);
    fputc('}', f);
    return DONE;
}

// How many clusters for a pool of m: some models in each, and no more than there are colours.
static size_t atlas_cluster_count(size_t m)
{
    size_t count = 2;
    while (2 * (count + 1) * (count + 1) <= m && count < ATLAS_CLUSTERS) ++count;
    return count;
}

// A view of the models by the metric of that name.
static int atlas_view(session *s, const atlas *a, int metric, view *v)
{
    const int given = s->opt.metric;
    s->opt.metric = metric + 1;
    int status = choose_view(s, &a->x, metric, v);
    s->opt.metric = given;
    return status;
}

static int atlas_geometry(session *s, atlas *a)
{
    const size_t m = a->x.models;
    float *distances = NULL;
    size_t *sizes = NULL;
    const char **names = NULL;
    view embeddings, chances;
    a->near = m - 1 < ATLAS_NEAR ? m - 1 : (size_t)ATLAS_NEAR;
    a->map = (float *)take(s, m, 2 * sizeof *a->map);
    a->principal = (float *)take(s, m, 2 * sizeof *a->principal);
    if (!a->map || !a->principal || choose_view(s, &a->x, -1, &a->shown) || atlas_view(s, a, 0, &embeddings) ||
        atlas_view(s, a, 3, &chances) || all_distances(s, &a->shown, &distances))
        return FAILED;
    if (find_clusters(s, &a->shown, LOCUS_AVERAGE, s->opt.count ? s->opt.count : atlas_cluster_count(m), -1.0,
                      &a->clusters) ||
        name_clusters(s, &a->clusters, m, distances, &a->medoids, &sizes, &names))
        return FAILED;
    if (a->near && (find_neighbours(s, &embeddings, NULL, a->near, a->x.available, &a->nearest) ||
                    find_neighbours(s, &chances, NULL, a->near, a->x.available, &a->alike)))
        return FAILED;
    if (layout_map(distances, m, a->map) ||
        principal_components(a->points.rows, m, a->points.dim, a->points.stride ? a->points.stride : a->points.dim,
                             a->principal, a->share))
        return fail(s, "out of memory: the layout of the map");
    return DONE;
}

static void atlas_layout(const atlas *a, const char *name, const float *xy)
{
    fprintf(a->f, "\"%s\":[", name);
    for (size_t i = 0; i < 2 * a->x.models; ++i) {
        if (i) fputc(',', a->f);
        atlas_number(a->f, is_finite(xy[i]) ? (double)xy[i] : 0.0, 5);
    }
    fputc(']', a->f);
}

// Indices, distances, and for stand-ins the expected agreement.
static void atlas_neighbours(const atlas *a, const char *name, const locus_neighbour *list, int agreement)
{
    const size_t count = a->x.models * a->near, n = a->x.n;
    fprintf(a->f, ",\n\"%s\":{\"k\":%zu,\"index\":[", name, a->near);
    for (size_t at = 0; at < count; ++at) {
        if (at) fputc(',', a->f);
        if (list[at].index == SIZE_MAX) fputs("-1", a->f);
        else fprintf(a->f, "%zu", list[at].index);
    }
    for (int column = 0; column < 1 + agreement; ++column) {
        fprintf(a->f, "],\"%s\":[", column ? "agreement" : "distance");
        for (size_t at = 0; at < count; ++at) {
            size_t i = at / a->near, j = list[at].index;
            if (at) fputc(',', a->f);
            if (j == SIZE_MAX) fputs("null", a->f);
            else if (column == 0) atlas_number(a->f, (double)list[at].distance, 5);
            else atlas_number(a->f, atlas_agreement(a->x.profiles.rows + i * n, a->x.profiles.rows + j * n, n), 5);
        }
    }
    fputs("]}", a->f);
}

static int atlas_data(session *s, const atlas *a)
{
    const char *path = s->opt.router ? s->opt.router : s->opt.pool ? s->opt.pool : s->opt.net, *base = path;
    const size_t m = a->x.models, n = a->x.n;
    FILE *f = a->f;
    unsigned char *bytes = (unsigned char *)take(s, n, m);
    if (!bytes) return FAILED;
    for (const char *c = path; *c; ++c)
        if (*c == '/' || *c == '\\') base = c + 1;
    fputs("{\"version\":", f);
    atlas_text(f, locus_version());
    fputs(",\"source\":", f);
    atlas_text(f, base);
    fputs(",\n\"names\":[", f);
    for (size_t i = 0; i < m; ++i) {
        if (i) fputs(",\n", f);
        atlas_text(f, locus_pool_model(s->pool, i)->name);
    }
    for (int column = 0; column < 4; ++column) {
        static const char *const names[] = {"parameters", "cost", "available", "evaluations"};
        fprintf(f, "],\n\"%s\":[", names[column]);
        for (size_t i = 0; i < m; ++i) {
            const locus_model *model = locus_pool_model(s->pool, i);
            if (i) fputc(',', f);
            if (column == 0) atlas_number(f, (double)model->parameters_b, 7);
            if (column == 1) atlas_number(f, model->cost, 7);
            if (column == 2) fputc(a->x.available[i] ? '1' : '0', f);
            if (column == 3) fprintf(f, "%llu", (unsigned long long)model->evaluations);
        }
    }
    fputc(']', f);
    atlas_indices(f, "cluster", a->clusters.label, m);
    atlas_indices(f, "medoids", a->medoids, a->clusters.clusters);
    fprintf(f, ",\n\"metric\":\"%s\",\n\"layouts\":{", a->shown.words);
    atlas_layout(a, "map", a->map);
    fputs(",\n", f);
    atlas_layout(a, "principal", a->principal);
    fputs("},\"explained\":[", f);
    atlas_number(f, a->share[0], 4);
    fputc(',', f);
    atlas_number(f, a->share[1], 4);
    fprintf(f, "],\n\"queries\":%zu,\"categories\":[", n);
    for (size_t c = 0; c < a->x.categories; ++c) {
        if (c) fputc(',', f);
        atlas_text(f, a->x.names[c]);
    }
    fputs("],\n\"category\":[", f);
    for (size_t q = 0; a->x.category && q < n; ++q) fprintf(f, "%s%ld", q ? "," : "", (long)a->x.category[q]);
    fputc(']', f);
    atlas_neighbours(a, "nearest", a->nearest, 0);
    atlas_neighbours(a, "alike", a->alike, 1);
    if (atlas_intervals(s, a)) return FAILED;
    for (size_t i = 0; i < m * n; ++i) bytes[i] = (unsigned char)(255.0f * a->x.profiles.rows[i] + 0.5f);
    fputs(",\n\"profiles\":\"", f);
    atlas_base64(f, bytes, m * n);
    fputs("\"}\n", f);
    return DONE;
}

static int run_atlas(session *s)
{
    const char *scores = s->opt.scores;
    char temporary[4096];
    atlas a;
    memset(&a, 0, sizeof a);
    if (!scores && (s->opt.evaluated || s->opt.model_rows || s->opt.resamples))
        return misuse(s, "--evaluated, --model-rows and --resamples need --scores");
    if (s->opt.resamples == 1) return misuse(s, "--resamples: expected at least 2, found 1");
    s->opt.scores = NULL; // they may be about other queries
    int status = open_sample(s, SAMPLE_NEEDED, &a.x);
    s->opt.scores = scores;
    if (status) return status;
    const size_t m = a.x.models, n = a.x.n;
    if (n > ATLAS_CELLS / m)
        return fail(s, "%s: expected at most %zu queries for %zu models, found %zu", queries_name(s), ATLAS_CELLS / m,
                    m, n);
    a.points = a.x.embeddings;
    if (atlas_geometry(s, &a) || (scores && atlas_resample(s, &a))) return FAILED;
    if (!(a.f = text_begin(s, s->opt.html, temporary))) return FAILED;
    for (size_t i = 0; atlas_page[i]; ++i) {
        if (strcmp(atlas_page[i], "ATLAS_DATA\n") != 0) fputs(atlas_page[i], a.f);
        else if (atlas_data(s, &a)) {
            fclose(a.f);
            remove(temporary);
            return FAILED;
        }
    }
    if (text_end(s, a.f, temporary, s->opt.html)) return FAILED;
    printf("%s: %zu model%s, %zu cluster%s, %zu sample quer%s%s\n", s->opt.html, m, m > 1 ? "s" : "",
           a.clusters.clusters, a.clusters.clusters > 1 ? "s" : "", n, n > 1 ? "ies" : "y",
           a.resamples ? "" : "; no intervals: no --scores given");
    return DONE;
}

static const flag atlas_flags[] = {
    POOL_FLAGS,
    QUERY_FLAGS("sample queries, of the kind that will be asked"),
    {"--categories", "FILE", TEXT, AT(categories), 0, "category of each sample query: see locus eval --help"},
    {"--html", "ATLAS.html", TEXT, AT(html), 1, "where to write the page"},
    METRIC_FLAG("chances; of map and clusters"),
    {"--count", "K", COUNT, AT(count), 0, "cut the tree into K clusters (default: root of half the models, 2 to 12)"},
    {"--available", "NAMES", TEXT, AT(available), 0, "only these models, separated by commas"},
    SCORE_FLAGS(0),
    {"--evaluated", "Q.npy", TEXT, AT(evaluated), 0, "encodings of the queries of --scores (default: the sample)"},
    {"--resamples", "R", COUNT, AT(resamples), 0, "resampled versions of each model for the intervals (default: 32)"},
    COMMON_FLAGS};

const command atlas_command = {
    "atlas", "Show the pool as one HTML page: map, neighbours, profiles, portfolios, mixes.", atlas_flags, run_atlas,
    "The page needs nothing but a browser and reaches for nothing. The sample queries stand for those that will be\n"
    "asked: expected accuracy, agreement, portfolios and mixes are means over them. With --scores the models are\n"
    "embedded again from resampled evaluations, and the page shows how sure its figures are.\n\n"
    "Example:\n  locus atlas --router router.safetensors --encodings q.npy --categories c.txt --html atlas.html\n"};
