// SPDX-License-Identifier: MIT
// locus atlas: the pool as one HTML page that needs nothing else. The page is atlas.html, here as the strings of
// atlas_page.c; this computes the data, one JSON object, and puts it in its place.

#include "pictures.h"

enum { ATLAS_NEAR = 10, ATLAS_CLUSTERS = 12, ATLAS_RESAMPLES = 32 };
#define ATLAS_CELLS ((size_t)1 << 26) // models x queries: a page of 90 MB

typedef struct atlas {
    sample x;
    size_t near_count; // how many neighbours of each model
    locus_points points;
    view shown; // what map and clusters go by
    clustering clusters;
    float *map, *principal; // [models, 2]
    double share[2];        // of the variance, of the two components
    locus_neighbour *nearest, *alike;
    // Of each model `resamples` versions; 0: no evaluations given.
    size_t resamples;
    float *versions, *version_profiles; // [models, resamples, z_dim], [models, resamples, queries]
    unsigned char *resampled;           // [models] 0: has no evaluations
} atlas;

static void write_base64(FILE *f, const unsigned char *bytes, size_t count)
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

// ----------------------------------------------------------------------------------- intervals from resampled models

static void resample_one(atlas *a, size_t model, const locus_evals *evals, const locus_resample_opts *opts)
{
    const size_t n = a->x.n, dim = a->points.dim;
    const locus_pool *redrawn = resample_model(evals, model, opts, &tool.quiet);
    must_for(locus_profiles(redrawn, &a->x.queries, NULL, a->version_profiles + model * opts->count * n, &tool.quiet,
                            &tool.err),
             phrase("--scores %s: %s", opt.scores, model_name(model)));
    for (size_t r = 0; r < opts->count; ++r)
        memcpy(a->versions + (model * opts->count + r) * dim, locus_pool_embedding(redrawn, r), dim * sizeof(float));
    a->resampled[model] = 1;
}

// Versions of every model from resampled evaluations: --evaluated (or --encodings) and --scores.
static void atlas_resample(atlas *a)
{
    const size_t m = a->x.models, dim = a->points.dim;
    const locus_queries q = opt.evaluated ? load_queries("--evaluated", opt.evaluated) : a->x.queries;
    const locus_array *y = open_scores(q.count, opt.evaluated ? "--evaluated" : "--encodings");
    const locus_scores g = pick_grades(y, match_models(y->shape[0]), m, NULL, q.count);
    const locus_resample_opts opts = {.count = opt.resamples ? opt.resamples : ATLAS_RESAMPLES, .seed = 1};
    a->resamples = opts.count;
    if (opts.count > SIZE_MAX / sizeof(float) / (a->x.n + dim) / (m + 1)) fail("out of memory");
    a->versions = take(m, opts.count * dim * sizeof(float));
    a->version_profiles = take(m, opts.count * a->x.n * sizeof(float));
    a->resampled = take(m, 1);
    progress_begin("resample");
    for (size_t i = 0; i < m; ++i) {
        const locus_evals evals = {.queries = q, .scores = one_row(&g, i)};
        size_t answers = 0;
        for (size_t k = 0; k < q.count; ++k) answers += !is_missing(&g, i, k);
        if (answers >= 2) resample_one(a, i, &evals, &opts);
        progress(NULL, i + 1, m);
    }
    progress_end();
}

static double agreement_of(const float *x, const float *y, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; ++i) {
        double p = (double)x[i], q = (double)y[i];
        sum += p * q + (1.0 - p) * (1.0 - q);
    }
    return sum / (double)n;
}

// Mean of a profile over the queries of a category; SIZE_MAX: over all.
static double mean_of(const atlas *a, const float *profile, size_t category)
{
    double sum = 0.0, count = 0.0;
    for (size_t q = 0; q < a->x.n; ++q)
        if (category == SIZE_MAX || a->x.category.of[q] == (int32_t)category) {
            sum += (double)profile[q];
            count += 1.0;
        }
    return count > 0.0 ? sum / count : NAN;
}

// Ends of an interval; values: of the versions, known 0: none.
static void json_bounds(const atlas *a, int known, double value, const double *values, double most)
{
    const locus_interval x = known ? locus_interval_of(value, values, a->resamples, 0.9) : just(NAN);
    json("%4d,%4d", x.low < 0.0 ? 0.0 : x.low, x.high > most ? most : x.high);
}

static void mean_intervals(const atlas *a, int by_category, double *values)
{
    const size_t columns = by_category ? a->x.category.count : 1, n = a->x.n;
    json("\n%s:[", by_category ? "category" : "accuracy");
    for (size_t at = 0; at < a->x.models * columns; ++at) {
        const size_t i = at / columns, c = by_category ? at % columns : SIZE_MAX;
        for (size_t r = 0; r < a->resamples; ++r)
            values[r] = mean_of(a, a->version_profiles + (i * a->resamples + r) * n, c);
        json_bounds(a, a->resampled[i], mean_of(a, a->x.profiles.rows + i * n, c), values, 1.0);
    }
    json("]");
}

static void neighbour_intervals(const atlas *a, const char *name, const locus_neighbour *list, int agreement,
                                double *values)
{
    const size_t dim = agreement ? a->x.n : a->points.dim, count = a->resamples;
    const float *rows = agreement ? a->version_profiles : a->versions, *profiles = a->x.profiles.rows;
    json("\n%s:[", name);
    for (size_t at = 0; at < a->x.models * a->near_count; ++at) {
        const size_t i = at / a->near_count, j = list[at].index;
        const int known = j != SIZE_MAX && a->resampled[i] && a->resampled[j];
        for (size_t r = 0; known && r < count; ++r) {
            const float *x = rows + (i * count + r) * dim, *y = rows + (j * count + r) * dim;
            values[r] = agreement ? agreement_of(x, y, dim) : cosine_distance(x, y, dim);
        }
        const double value =
            known && agreement ? agreement_of(profiles + i * dim, profiles + j * dim, dim) : (double)list[at].distance;
        json_bounds(a, known, value, values, agreement ? 1.0 : 2.0);
    }
    json("]");
}

static void json_intervals(const atlas *a)
{
    double *values = take(a->resamples + 1, sizeof *values);
    if (!a->resamples) {
        json("\n'intervals':null");
        return;
    }
    json("\n'intervals':{'level':0.9,'resamples':%u", a->resamples);
    mean_intervals(a, 0, values);
    mean_intervals(a, 1, values);
    neighbour_intervals(a, "nearest", a->nearest, 0, values);
    neighbour_intervals(a, "alike", a->alike, 1, values);
    json("}");
}

// -------------------------------------------------------------------------------------- layouts, clusters, neighbours

// How many clusters for a pool of m: some models in each, and no more than there are colours.
static size_t atlas_cluster_count(size_t m)
{
    size_t count = 2;
    while (2 * (count + 1) * (count + 1) <= m && count < ATLAS_CLUSTERS) ++count;
    return count;
}

static void atlas_geometry(atlas *a)
{
    const size_t m = a->x.models;
    const view embeddings = make_view(&a->x, BY_COSINE), chances = make_view(&a->x, BY_CHANCES);
    a->near_count = m - 1 < ATLAS_NEAR ? m - 1 : (size_t)ATLAS_NEAR;
    a->map = take(m, 2 * sizeof *a->map);
    a->principal = take(m, 2 * sizeof *a->principal);
    a->shown = choose_view(&a->x, BY_USUAL);
    const float *distances = all_distances(&a->shown);
    a->clusters =
        find_clusters(&a->shown, LOCUS_AVERAGE, opt.count ? opt.count : atlas_cluster_count(m), -1.0, distances);
    if (a->near_count) {
        a->nearest = find_neighbours(&embeddings, NULL, a->near_count, a->x.available);
        a->alike = find_neighbours(&chances, NULL, a->near_count, a->x.available);
    }
    layout_map(distances, m, a->map);
    principal_components(&a->points, a->principal, a->share);
}

static void json_layout(const atlas *a, const char *name, const float *xy)
{
    json("%s:[", name);
    for (size_t i = 0; i < 2 * a->x.models; ++i) json("%5d", is_finite((double)xy[i]) ? (double)xy[i] : 0.0);
    json("]");
}

// Indices, distances, and for stand-ins the expected agreement.
static void json_nearest(const atlas *a, const char *name, const locus_neighbour *list, int agreement)
{
    const size_t count = a->x.models * a->near_count, n = a->x.n;
    const float *profiles = a->x.profiles.rows;
    json("\n%s:{'k':%u,'index':[", name, a->near_count);
    for (size_t at = 0; at < count; ++at) {
        if (list[at].index == SIZE_MAX) json("%r", "-1");
        else json("%u", list[at].index);
    }
    for (int column = 0; column < 1 + agreement; ++column) {
        json("],%s:[", column ? "agreement" : "distance");
        for (size_t at = 0; at < count; ++at) {
            const size_t i = at / a->near_count, j = list[at].index;
            double value = NAN;
            if (j != SIZE_MAX)
                value = column ? agreement_of(profiles + i * n, profiles + j * n, n) : (double)list[at].distance;
            json("%5d", value);
        }
    }
    json("]}");
}

// --------------------------------------------------------------------------------------------------------- the command

static void json_models(const atlas *a)
{
    static const char *const names[] = {"parameters", "cost", "available", "evaluations"};
    json("\n'names':[");
    for (size_t i = 0; i < a->x.models; ++i) json(i ? "\n%s" : "%s", model_name(i));
    for (int column = 0; column < 4; ++column) {
        json("],\n%s:[", names[column]);
        for (size_t i = 0; i < a->x.models; ++i) {
            const locus_model *model = locus_pool_model(tool.pool, i);
            if (column < 2) json("%7d", column ? model->cost : (double)model->parameters_b);
            else json("%u", column == 2 ? (size_t)a->x.available[i] : (size_t)model->evaluations);
        }
    }
    json("],\n'cluster':[");
    for (size_t i = 0; i < a->x.models; ++i) json("%u", a->clusters.label[i]);
    json("],\n'medoids':[");
    for (size_t g = 0; g < a->clusters.count; ++g) json("%u", a->clusters.medoids[g]);
    json("]");
}

static void json_atlas(const atlas *a, FILE *f)
{
    const char *base = pool_path();
    const size_t m = a->x.models, n = a->x.n;
    const categories *category = &a->x.category;
    unsigned char *bytes = take(n, m);
    for (const char *c = base; *c; ++c)
        if (*c == '/' || *c == '\\') base = c + 1;
    json_into(f);
    json("{'version':%s,'source':%s", locus_version(), base);
    json_models(a);
    json("\n'metric':%s,\n'layouts':{", a->shown.words);
    json_layout(a, "map", a->map);
    json(",\n");
    json_layout(a, "principal", a->principal);
    json("},'explained':[%4d,%4d],\n'queries':%u,'categories':[", a->share[0], a->share[1], n);
    for (size_t c = 0; c < category->count; ++c) json("%s", category->names[c]);
    json("],\n'category':[");
    for (size_t q = 0; category->count && q < n; ++q) json("%u", (size_t)category->of[q]);
    json("]");
    json_nearest(a, "nearest", a->nearest, 0);
    json_nearest(a, "alike", a->alike, 1);
    json_intervals(a);
    for (size_t i = 0; i < m * n; ++i) bytes[i] = (unsigned char)(255.0f * a->x.profiles.rows[i] + 0.5f);
    json("\n'profiles':'");
    write_base64(f, bytes, m * n);
    fputs("\"}\n", f);
    json_into(stdout);
}

static void run_atlas(void)
{
    atlas a = {0};
    if (!opt.scores && (opt.evaluated || opt.model_rows || opt.resamples))
        misuse("--evaluated, --model-rows and --resamples need --scores");
    if (opt.resamples == 1) misuse("--resamples: expected at least 2, found 1");
    a.x = open_sample(SAMPLE_UNSCORED);
    const size_t m = a.x.models, n = a.x.n;
    if (n > ATLAS_CELLS / m)
        fail("%s: expected at most %zu queries for %zu models, found %zu", queries_name(), ATLAS_CELLS / m, m, n);
    a.points = a.x.embeddings;
    atlas_geometry(&a);
    if (opt.scores) atlas_resample(&a);
    FILE *f = file_begin(opt.html);
    for (size_t i = 0; atlas_page[i]; ++i) {
        if (strcmp(atlas_page[i], "ATLAS_DATA\n") != 0) fputs(atlas_page[i], f);
        else json_atlas(&a, f);
    }
    file_end();
    printf("%s: %zu model%s, %zu cluster%s, %zu sample quer%s%s\n", opt.html, m, m > 1 ? "s" : "", a.clusters.count,
           a.clusters.count > 1 ? "s" : "", n, n > 1 ? "ies" : "y",
           a.resamples ? "" : "; no intervals: no --scores given");
}

static const flag atlas_flags[] = {
    POOL_FLAGS,
    QUERY_FLAGS("sample queries, of the kind that will be asked [n, q_dim]"),
    {"--categories", "FILE", TEXT, AT(categories), 0, "category of each sample query: see locus eval --help"},
    {"--html", "ATLAS.html", TEXT, AT(html), 1, "where to write the page"},
    METRIC_FLAG("chances; of map and clusters"),
    {"--count", "K", COUNT, AT(count), 0, "cut the tree into K clusters (default: root of half the models, 2 to 12)"},
    AVAILABLE_FLAG,
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
