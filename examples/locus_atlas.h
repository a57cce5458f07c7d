// SPDX-License-Identifier: MIT
// locus atlas: the pool as one HTML page that needs nothing else. Part of locus.c; see there. The page is written in
// examples/atlas.html, which is here as the strings of atlas_page.h; this computes the data, one JSON object, and puts
// it in its place.
//
// Contents: JSON for a script element; intervals from resampled models; layouts, clusters, neighbours; the command.

#ifndef LOCUS_ATLAS_H
#define LOCUS_ATLAS_H

#include "atlas_page.h"
#include "locus_pictures.h"

enum { ATLAS_NEAR = 10, ATLAS_CLUSTERS = 12, ATLAS_MODELS = 10000, ATLAS_RESAMPLES = 32 };
#define ATLAS_CELLS ((size_t)1 << 26) // models x queries: a page of 90 MB

typedef struct atlas {
    FILE *f;
    size_t models, queries, categories, clusters, near;
    locus_points points, profiles;
    unsigned char *available;
    const char **category_names;
    int32_t *category; // [queries]; NULL: none given
    size_t *label, *medoid;
    float *map, *principal; // [models, 2]
    double share[2];        // of the variance, of the two components
    locus_neighbour *nearest, *alike;
    // Of each model `resamples` versions; 0: no evaluations given.
    size_t resamples, z_dim;
    float *versions, *version_profiles; // [models, resamples, z_dim], [models, resamples, queries]
    unsigned char *resampled;           // [models] 0: has no evaluations
} atlas;

// ------------------------------------------------------------------------------------------ JSON for a script element

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
    if (isfinite(value)) fprintf(f, "%.*g", digits, value);
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

// ---------------------------------------------------------------------------------- intervals from resampled models

// Versions of every model from resampled evaluations: --evaluated (or --encodings) and --scores.
static int atlas_resample(session *s, atlas *a, const locus_array *sample)
{
    const options *o = &s->opt;
    const locus_array *evaluated = sample, *y = NULL;
    size_t *rows = NULL, m = a->models, bytes = 0;
    char meaning[80], found[240];
    locus_queries sample_queries;
    locus_resample_opts opts;
    grades g;
    void *work = NULL;
    memset(&sample_queries, 0, sizeof sample_queries);
    memset(&opts, 0, sizeof opts);
    snprintf(meaning, sizeof meaning, "[queries, %zu]", s->info.q_dim);
    if (o->evaluated && open_array(s, "--evaluated", o->evaluated, 2, meaning, &evaluated)) return FAILED;
    if (evaluated->shape[1] != s->info.q_dim)
        return fail(s, "--evaluated %s: expected %s (the q_dim of the net), found %s", o->evaluated, meaning,
                    shape_text(evaluated->shape, 2, found));
    if (open_grades(s, "--scores", o->scores, &y)) return FAILED;
    size_t n = evaluated->shape[0];
    if (y->shape[1] != n)
        return fail(s, "--scores %s: expected [models, %zu] (the rows of %s), found %s", o->scores, n,
                    o->evaluated ? "--evaluated" : "--encodings", shape_text(y->shape, 2, found));
    if (match_models(s, y->shape[0], &rows) || pick_grades(s, y, rows, m, NULL, n, &g)) return FAILED;
    opts.count = a->resamples = o->resamples ? o->resamples : ATLAS_RESAMPLES;
    opts.seed = 1;
    opts.parallel = s->parallel;
    if (opts.count < 2) return misuse(s, "--resamples: expected at least 2, found %zu", opts.count);
    if (opts.count > SIZE_MAX / sizeof(float) / (a->queries + a->z_dim + 1) / (m + 1)) return fail(s, "out of memory");
    a->versions = (float *)take(s, m, opts.count * a->z_dim * sizeof(float));
    a->version_profiles = (float *)take(s, m, opts.count * a->queries * sizeof(float));
    a->resampled = (unsigned char *)take(s, m, 1);
    float *table = (float *)take(s, n, s->info.q_dim * sizeof *table);
    float *sampled = (float *)take(s, a->queries, s->info.q_dim * sizeof *sampled);
    if (!a->versions || !a->version_profiles || !a->resampled || !table || !sampled) return FAILED;
    sample_queries.encodings = encoding_rows(s, sample, NULL, 0, a->queries, sampled);
    sample_queries.count = a->queries;
    sample_queries.dim = s->info.q_dim;
    const float *encodings = encoding_rows(s, evaluated, NULL, 0, n, table);
    if (!sample_queries.encodings || !encodings) return fail(s, "%s", s->err.message);
    progress_begin(s, "resample");
    for (size_t i = 0; i < m; ++i) {
        locus_evals evals;
        locus_pool *versions = NULL;
        size_t answers = 0;
        int bad;
        for (size_t q = 0; q < n; ++q) answers += !is_missing(&g, i, q);
        if (!answers) continue;
        memset(&evals, 0, sizeof evals);
        evals.queries.encodings = encodings;
        evals.queries.count = n;
        evals.queries.dim = s->info.q_dim;
        evals.models = 1;
        evals.scores = g.f32 ? g.f32 + i * n : NULL;
        evals.scores_u8 = g.u8 ? g.u8 + i * n : NULL;
        bad = locus_pool_resample(&versions, s->pool, &evals, &opts, &s->err) != LOCUS_OK;
        if (!bad && !work) {
            bytes = locus_profiles_workspace(versions, a->queries, s->parallel);
            work = take(s, bytes, 1);
            bad = !work;
        }
        bad = bad || locus_profiles(versions, &sample_queries, a->version_profiles + i * opts.count * a->queries,
                                    s->parallel, work, bytes, &s->err);
        for (size_t r = 0; !bad && r < opts.count; ++r)
            memcpy(a->versions + (i * opts.count + r) * a->z_dim, locus_pool_embedding(versions, r),
                   a->z_dim * sizeof(float));
        locus_pool_destroy(versions);
        if (bad) {
            progress_end(s);
            return fail(s, "--scores %s: model %s: %s", o->scores, locus_pool_model(s->pool, i)->name, s->err.message);
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
    for (size_t q = 0; q < a->queries; ++q)
        if (category == SIZE_MAX || a->category[q] == (int32_t)category) {
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
    for (size_t at = 0; at < a->models * a->near; ++at) {
        size_t i = at / a->near, j = list[at].index, dim = agreement ? a->queries : a->z_dim;
        const float *rows = agreement ? a->version_profiles : a->versions;
        locus_interval interval = atlas_no_interval();
        if (j != SIZE_MAX && a->resampled[i] && a->resampled[j]) {
            for (size_t r = 0; r < a->resamples; ++r) {
                const float *x = rows + (i * a->resamples + r) * dim, *y = rows + (j * a->resamples + r) * dim;
                values[r] = agreement ? atlas_agreement(x, y, dim) : atlas_cosine(x, y, dim);
            }
            double value = agreement ? 1.0 - (double)list[at].distance : (double)list[at].distance;
            interval = locus_interval_of(value, values, a->resamples, 0, 0.9);
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
        size_t columns = by_category ? a->categories : 1;
        fprintf(f, ",\n\"%s\":[", by_category ? "category" : "accuracy");
        for (size_t at = 0; at < a->models * columns; ++at) {
            size_t i = at / columns, c = by_category ? at % columns : SIZE_MAX;
            locus_interval interval = atlas_no_interval();
            for (size_t r = 0; r < a->resamples; ++r)
                values[r] = atlas_mean(a, a->version_profiles + (i * a->resamples + r) * a->queries, c);
            if (a->resampled[i])
                interval = locus_interval_of(atlas_mean(a, a->profiles.rows + i * a->queries, c), values, a->resamples,
                                             0, 0.9);
            atlas_bounds(f, at, interval, 0.0, 1.0);
        }
        fputc(']', f);
    }
    atlas_neighbour_intervals(a, "nearest", a->nearest, 0, values);
    atlas_neighbour_intervals(a, "alike", a->alike, 1, values);
    fputc('}', f);
    return DONE;
}

// ------------------------------------------------------------------------------------ layouts, clusters, neighbours

// How many clusters for a pool of m: some models in each, and no more than there are colours.
static size_t atlas_cluster_count(size_t m, size_t wanted)
{
    size_t count = 2;
    while (2 * (count + 1) * (count + 1) <= m && count < ATLAS_CLUSTERS) ++count;
    if (wanted) count = wanted;
    return count < m ? count : m;
}

static int atlas_geometry(session *s, atlas *a)
{
    const size_t m = a->models;
    locus_explore_opts opts;
    size_t bytes[4], largest = 0;
    memset(&opts, 0, sizeof opts);
    opts.isa = (locus_isa)s->opt.isa;
    opts.parallel = s->parallel;
    bytes[0] = locus_distances_workspace(&a->points, NULL, &opts);
    bytes[1] = locus_cluster_workspace(&a->points, LOCUS_AVERAGE, &opts);
    bytes[2] = locus_neighbours_workspace(&a->points, NULL, ATLAS_NEAR, &opts);
    bytes[3] = locus_neighbours_workspace(&a->profiles, NULL, ATLAS_NEAR, &opts);
    for (int k = 0; k < 4; ++k)
        if (bytes[k] > largest) largest = bytes[k];
    if (largest < m * sizeof(size_t)) largest = m * sizeof(size_t);
    void *work = take(s, largest, 1);
    float *distances = (float *)take(s, m, m * sizeof *distances);
    locus_merge *merges = (locus_merge *)take(s, m, sizeof *merges);
    a->near = m - 1 < ATLAS_NEAR ? m - 1 : ATLAS_NEAR;
    a->label = (size_t *)take(s, m, sizeof *a->label);
    a->medoid = (size_t *)take(s, m, sizeof *a->medoid);
    a->map = (float *)take(s, m, 2 * sizeof *a->map);
    a->principal = (float *)take(s, m, 2 * sizeof *a->principal);
    a->nearest = (locus_neighbour *)take(s, m, (a->near + 1) * sizeof *a->nearest);
    a->alike = (locus_neighbour *)take(s, m, (a->near + 1) * sizeof *a->alike);
    double *least = (double *)take(s, m, sizeof *least);
    if (!work || !distances || !merges || !a->label || !a->medoid || !a->map || !a->principal || !a->nearest ||
        !a->alike || !least)
        return FAILED;
    if (locus_distances(&a->points, NULL, distances, &opts, work, largest, &s->err) ||
        locus_cluster(&a->points, LOCUS_AVERAGE, merges, &opts, work, largest, &s->err) ||
        locus_cluster_cut(merges, m, atlas_cluster_count(m, s->opt.clusters), 0.0, a->label, &a->clusters, work,
                          largest, &s->err))
        return fail(s, "%s", s->err.message);
    opts.available = a->available;
    if (a->near && locus_neighbours(&a->points, NULL, a->near, a->nearest, &opts, work, largest, &s->err))
        return fail(s, "%s", s->err.message);
    opts.metric = LOCUS_DISAGREEMENT;
    if (a->near && locus_neighbours(&a->profiles, NULL, a->near, a->alike, &opts, work, largest, &s->err))
        return fail(s, "%s", s->err.message);
    if (layout_map(distances, m, a->map) ||
        principal_components(a->points.rows, m, a->points.dim, a->points.stride ? a->points.stride : a->points.dim,
                             a->principal, a->share))
        return fail(s, "out of memory: the layout of the map");
    for (size_t c = 0; c < a->clusters; ++c) least[c] = INFINITY;
    for (size_t i = 0; i < m; ++i) { // the model in the middle of each cluster
        double sum = 0.0;
        for (size_t j = 0; j < m; ++j)
            if (a->label[j] == a->label[i]) sum += (double)distances[i * m + j];
        if (sum < least[a->label[i]]) least[a->label[i]] = sum, a->medoid[a->label[i]] = i;
    }
    return DONE;
}

static void atlas_layout(const atlas *a, const char *name, const float *xy)
{
    fprintf(a->f, "\"%s\":[", name);
    for (size_t i = 0; i < 2 * a->models; ++i) {
        if (i) fputc(',', a->f);
        atlas_number(a->f, isfinite(xy[i]) ? (double)xy[i] : 0.0, 5);
    }
    fputc(']', a->f);
}

static void atlas_neighbours(const atlas *a, const char *name, const locus_neighbour *list, int agreement)
{
    size_t count = a->models * a->near;
    fprintf(a->f, ",\n\"%s\":{\"k\":%zu,\"index\":[", name, a->near);
    for (size_t i = 0; i < count; ++i) {
        if (i) fputc(',', a->f);
        if (list[i].index == SIZE_MAX) fputs("-1", a->f);
        else fprintf(a->f, "%zu", list[i].index);
    }
    fputs("],\"value\":[", a->f);
    for (size_t i = 0; i < count; ++i) {
        double distance = (double)list[i].distance;
        if (i) fputc(',', a->f);
        if (list[i].index == SIZE_MAX) fputs("null", a->f);
        else atlas_number(a->f, agreement ? 1.0 - distance : distance, 5);
    }
    fputs("]}", a->f);
}

// -------------------------------------------------------------------------------------------------------- the command

static int atlas_data(session *s, const atlas *a)
{
    const char *path = s->opt.router ? s->opt.router : s->opt.pool ? s->opt.pool : s->opt.net, *base = path;
    const size_t m = a->models, n = a->queries;
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
            if (column == 1) atlas_number(f, (double)model->cost, 7);
            if (column == 2) fputc(a->available[i] ? '1' : '0', f);
            if (column == 3) fprintf(f, "%llu", (unsigned long long)model->evaluations);
        }
    }
    fputc(']', f);
    atlas_indices(f, "cluster", a->label, m);
    atlas_indices(f, "medoids", a->medoid, a->clusters);
    fputs(",\"clustering\":\"average linkage of cosine distances\"", f);
    fputs(",\n\"layouts\":{", f);
    atlas_layout(a, "map", a->map);
    fputs(",\n", f);
    atlas_layout(a, "principal", a->principal);
    fputs("},\"explained\":[", f);
    atlas_number(f, a->share[0], 4);
    fputc(',', f);
    atlas_number(f, a->share[1], 4);
    fprintf(f, "],\n\"queries\":%zu,\"categories\":[", n);
    for (size_t c = 0; c < a->categories; ++c) {
        if (c) fputc(',', f);
        atlas_text(f, a->category_names[c]);
    }
    fputs("],\n\"category\":[", f);
    for (size_t q = 0; a->category && q < n; ++q) fprintf(f, "%s%ld", q ? "," : "", (long)a->category[q]);
    fputc(']', f);
    atlas_neighbours(a, "nearest", a->nearest, 0);
    atlas_neighbours(a, "alike", a->alike, 1);
    if (atlas_intervals(s, a)) return FAILED;
    for (size_t i = 0; i < m * n; ++i) bytes[i] = (unsigned char)(255.0f * a->profiles.rows[i] + 0.5f);
    fputs(",\n\"profiles\":\"", f);
    atlas_base64(f, bytes, m * n);
    fputs("\"}\n", f);
    return DONE;
}

static int run_atlas(session *s)
{
    const options *o = &s->opt;
    const locus_array *q = NULL;
    locus_queries queries;
    char temporary[4096];
    atlas a;
    memset(&a, 0, sizeof a);
    memset(&queries, 0, sizeof queries);
    if (!o->scores && (o->evaluated || o->model_rows || o->resamples))
        return misuse(s, "--evaluated, --model-rows and --resamples need --scores");
    s->whole_net = o->scores != NULL; // resampling embeds
    int status = open_net_and_pool(s);
    if (status) return status;
    if ((status = open_encodings(s, &q)) != DONE) return status;
    const size_t m = a.models = locus_pool_count(s->pool), n = a.queries = q->shape[0];
    if (m == 0) return fail(s, "the pool is empty");
    if (n == 0) return fail(s, "%s: expected at least one query", queries_name(s));
    if (m > ATLAS_MODELS) return fail(s, "expected at most %d models, found %zu", (int)ATLAS_MODELS, m);
    if (n > ATLAS_CELLS / m)
        return fail(s, "%s: expected at most %zu queries for %zu models, found %zu", queries_name(s), ATLAS_CELLS / m,
                    m, n);
    if (o->categories && load_categories(s, n, &a.category, &a.category_names, &a.categories)) return FAILED;
    if (start_threads(s)) return FAILED;
    size_t bytes = locus_profiles_workspace(s->pool, n, s->parallel);
    void *work = take(s, bytes, 1);
    float *buffer = (float *)take(s, n, s->info.q_dim * sizeof *buffer);
    float *profiles = (float *)take(s, m, n * sizeof *profiles);
    a.available = (unsigned char *)take(s, m, 1);
    if (!work || !buffer || !profiles || !a.available) return FAILED;
    queries.encodings = encoding_rows(s, q, NULL, 0, n, buffer);
    queries.count = n;
    queries.dim = s->info.q_dim;
    if (!queries.encodings || locus_profiles(s->pool, &queries, profiles, s->parallel, work, bytes, &s->err))
        return fail(s, "%s: %s", queries_name(s), s->err.message);
    for (size_t i = 0; i < m; ++i) a.available[i] = (unsigned char)(locus_pool_model(s->pool, i)->available != 0);
    a.points = locus_pool_points(s->pool);
    a.profiles.rows = profiles;
    a.profiles.count = m;
    a.profiles.dim = n;
    a.z_dim = s->info.z_dim;
    if (atlas_geometry(s, &a) || (o->scores && atlas_resample(s, &a, q))) return FAILED;
    if (!(a.f = text_begin(s, o->html, temporary))) return FAILED;
    for (size_t i = 0; atlas_page[i]; ++i) {
        if (strcmp(atlas_page[i], "ATLAS_DATA\n") != 0) fputs(atlas_page[i], a.f);
        else if (atlas_data(s, &a)) {
            fclose(a.f);
            remove(temporary);
            return FAILED;
        }
    }
    if (text_end(s, a.f, temporary, o->html)) return FAILED;
    printf("%s: %zu models, %zu clusters, %zu sample queries%s\n", o->html, m, a.clusters, n,
           a.resamples ? "" : "; no intervals: no --scores given");
    return DONE;
}

static const flag atlas_flags[] = {
    {"--net", "NET.safetensors", TEXT, AT(net), 0, "the net"},
    {"--pool", "POOL.safetensors|Z.npy", TEXT, AT(pool), 0, "the models' embeddings"},
    {"--router", "ROUTER.safetensors", TEXT, AT(router), 0, "one file that holds both (in place of --net and --pool)"},
    {"--encodings", "Q.npy", TEXT, AT(encodings), 0, "encodings of sample queries, of the kind that will be asked"},
    {"--text", "Q.jsonl", TEXT, AT(text_file), 0, "in their place the queries' words, for a net that reads text"},
    {"--categories", "FILE", TEXT, AT(categories), 0, "category of each sample query: see locus eval --help"},
    {"--html", "ATLAS.html", TEXT, AT(html), 1, "where to write the page"},
    {"--clusters", "N", COUNT, AT(clusters), 0, "colours on the map (default: root of half the models, 2 to 12)"},
    {"--scores", "Y.npy", TEXT, AT(scores), 0,
     "the models' evaluations [models, n], for intervals: u1 with 255 = missing, or float with NaN = missing"},
    {"--evaluated", "Q.npy", TEXT, AT(evaluated), 0, "encodings of the queries of --scores (default: --encodings)"},
    {"--models", "MODELS.csv", TEXT, AT(models), 0, "names of the rows of --scores: match the pool by name"},
    {"--model-rows", "IDX.npy", TEXT, AT(model_rows), 0, "the rows of --scores that belong to the pool's models"},
    {"--resamples", "R", COUNT, AT(resamples), 0, "resampled versions of each model for the intervals (default: 32)"},
    COMMON_FLAGS};

#endif
