// SPDX-License-Identifier: MIT
// Commands of locus.c that explore, compare and select: compare, neighbours, cluster, portfolio, search, duplicates,
// next, explain, update, calibrate. Part of locus.c, which includes it; what they share with the other commands stands
// there.
//
// Contents: what they look at (pool, sample of queries, scores); tables and pictures; one section for each command;
// their flags.

#ifndef LOCUS_EXPLORE_H
#define LOCUS_EXPLORE_H

// ------------------------------------------------------------------------------------------------ what they look at

enum { MOST_PAIRED = 5000 }; // models whose distances from each other are all looked at, in memory

// The pool, and with --encodings or --text a sample of queries with every model's predicted chances on it.
typedef struct sample {
    size_t models, n; // n 0: there is no sample
    const locus_array *array;
    locus_queries queries; // the same as floats
    locus_points profiles; // [models, n]
    int32_t *category;     // [n], or NULL without --categories
    const char **names;
    size_t categories;
    unsigned char *scores; // [models, n] 0, 1 or 255 = missing; NULL without --scores
    unsigned char *available;
} sample;

static const char *model_name(const session *s, size_t i) { return locus_pool_model(s->pool, i)->name; }

// The rows of an array as floats.
static int float_queries(session *s, const char *flag_name, const char *path, const locus_array *a, locus_queries *out)
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

// profiles[models, n] <- of the models of a pool.
static int profiles_of(session *s, const locus_pool *pool, const locus_queries *queries, float **profiles)
{
    size_t bytes = locus_profiles_workspace(pool, queries->count, s->parallel);
    void *work = take(s, bytes, 1);
    *profiles = (float *)take(s, locus_pool_count(pool), queries->count * sizeof **profiles);
    if (!work || !*profiles) return FAILED;
    if (locus_profiles(pool, queries, *profiles, s->parallel, work, bytes, &s->err))
        return fail(s, "%s: %s", queries_name(s), s->err.message);
    return DONE;
}

// --scores, row by row for the models of the pool, as right, wrong or missing.
static int load_scores(session *s, size_t n, unsigned char **out)
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

typedef enum need { SAMPLE_OPTIONAL, SAMPLE_NEEDED } need;

// Net, pool, threads, and the sample.
static int open_sample(session *s, need needed, sample *out)
{
    const options *o = &s->opt;
    const locus_array *q = NULL;
    float *profiles = NULL;
    int status;
    memset(out, 0, sizeof *out);
    if (needed == SAMPLE_NEEDED && !o->encodings && !o->text_file)
        return misuse(s, "--encodings Q.npy or --text FILE.jsonl is required: sample queries");
    if (!o->encodings && !o->text_file && (o->scores || o->categories))
        return misuse(s, "%s needs --encodings Q.npy or --text FILE.jsonl: the queries that it is about",
                      o->scores ? "--scores" : "--categories");
    if ((status = open_net_and_pool(s, 0)) != DONE) return status;
    out->models = locus_pool_count(s->pool);
    if (out->models == 0) return fail(s, "the pool is empty");
    out->available = (unsigned char *)take(s, out->models, 1);
    if (!out->available) return FAILED;
    if (o->available) {
        if ((status = read_available(s, out->available)) != DONE) return status;
    } else {
        for (size_t i = 0; i < out->models; ++i) out->available[i] = locus_pool_model(s->pool, i)->available != 0;
    }
    if (start_threads(s)) return FAILED;
    if (!o->encodings && !o->text_file) return DONE;
    if ((status = open_encodings(s, &q)) != DONE) return status;
    out->array = q;
    out->n = q->shape[0];
    if (out->n == 0) return fail(s, "%s: there is no query in it", queries_name(s));
    if (float_queries(s, "--encodings", o->encodings ? o->encodings : "", q, &out->queries)) return FAILED;
    if (o->categories && load_categories(s, out->n, &out->category, &out->names, &out->categories)) return FAILED;
    if (load_scores(s, out->n, &out->scores)) return FAILED;
    if (profiles_of(s, s->pool, &out->queries, &profiles)) return FAILED;
    out->profiles.rows = profiles;
    out->profiles.count = out->models;
    out->profiles.dim = out->n;
    return DONE;
}

// Mean over the queries of the best chance in the set; and, where scores are known, the share that it answers right
// when each query goes to its best (a missing score counts as a miss).
static double set_value(const sample *x, const size_t *picks, size_t count, double *measured)
{
    double sum = 0.0;
    size_t right = 0;
    for (size_t q = 0; q < x->n; ++q) {
        float best = -1.0f;
        size_t model = 0;
        for (size_t k = 0; k < count; ++k) {
            float p = x->profiles.rows[picks[k] * x->n + q];
            if (p > best) best = p, model = picks[k];
        }
        sum += (double)best;
        right += x->scores && x->scores[model * x->n + q] == 1;
    }
    if (measured) *measured = x->scores ? (double)right / (double)x->n : NAN;
    return sum / (double)x->n;
}

// Index of a model by name, or a message with the nearest one.
static int find_model(session *s, const char *what, const char *name, size_t *index)
{
    *index = locus_pool_find(s->pool, name);
    return *index == SIZE_MAX ? fail_name(s, what, name) : DONE;
}

// "25 models, average linkage, ..." in memory of the session.
PRINTF_LIKE(2, 3) static const char *phrase(session *s, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char *copy = (char *)take(s, strlen(text) + 1, 1);
    return copy ? strcpy(copy, text) : "";
}

typedef struct view { // how models are compared
    locus_metric metric;
    locus_points points;
    const char *name, *words, *note; // note: words and sample
} view;

// --metric. By default chances where there is a sample, else cosine: among real models the nearest by their predicted
// chances agree more often than the nearest by embedding, and far more often than those of least expected disagreement,
// which takes answers as independent and so prefers models that are sure of themselves.
static int choose_view(session *s, const sample *x, int usual, view *v)
{
    static const char *const names[] = {"cosine", "euclidean", "disagreement", "chances"};
    static const char *const words[] = {"cosine distance of the embeddings", "Euclidean distance of the embeddings",
                                        "expected share of unlike answers",
                                        "root mean square difference of the predicted chances"};
    const int which = s->opt.metric ? s->opt.metric - 1 : usual >= 0 ? usual : x->n ? 3 : 0;
    memset(v, 0, sizeof *v);
    v->name = names[which];
    v->words = v->note = words[which];
    v->metric = which == 3 ? LOCUS_EUCLIDEAN : (locus_metric)which;
    v->points = locus_pool_points(s->pool);
    if (which < 2) return DONE;
    if (!x->n)
        return misuse(s, "--metric %s needs --encodings Q.npy or --text FILE.jsonl: sample queries", names[which]);
    v->note = phrase(s, "%s, %zu queries", words[which], x->n);
    v->points = x->profiles;
    if (which == 2) return DONE;
    float *scaled = (float *)take(s, x->models, x->n * sizeof *scaled);
    if (!scaled) return FAILED;
    for (size_t i = 0; i < x->models * x->n; ++i) scaled[i] = (float)((double)x->profiles.rows[i] / sqrt((double)x->n));
    v->points.rows = scaled;
    return DONE;
}

static locus_explore_opts explore_opts(session *s, locus_metric metric, const unsigned char *available)
{
    locus_explore_opts e;
    memset(&e, 0, sizeof e);
    e.metric = metric;
    e.available = available;
    e.parallel = s->parallel;
    e.isa = (locus_isa)s->opt.isa;
    e.progress = progress;
    e.user = s;
    return e;
}

// All distances, [models, models].
static int all_distances(session *s, const view *v, float **out)
{
    locus_explore_opts e = explore_opts(s, v->metric, NULL);
    const locus_points *points = &v->points;
    if (points->count > MOST_PAIRED)
        return fail(s, "all pairs of models are looked at for up to %d models; the pool has %zu", MOST_PAIRED,
                    points->count);
    size_t bytes = locus_distances_workspace(points, NULL, &e);
    void *work = take(s, bytes, 1);
    *out = (float *)take(s, points->count, points->count * sizeof **out);
    if (!work || !*out) return FAILED;
    progress_begin(s, "distances");
    int failed = locus_distances(points, NULL, *out, &e, work, bytes, &s->err) != LOCUS_OK;
    progress_end(s);
    return failed ? fail(s, "%s", s->err.message) : DONE;
}

// nearest[of or models, k] <- neighbours.
static int find_neighbours(session *s, const view *v, const locus_points *of, size_t k, const unsigned char *available,
                           locus_neighbour **out)
{
    locus_explore_opts e = explore_opts(s, v->metric, available);
    const locus_points *points = &v->points;
    size_t bytes = locus_neighbours_workspace(points, of, k, &e);
    void *work = take(s, bytes, 1);
    *out = (locus_neighbour *)take(s, of ? of->count : points->count, k * sizeof **out);
    if (!work || !*out) return FAILED;
    progress_begin(s, "neighbours");
    int failed = locus_neighbours(points, of, k, *out, &e, work, bytes, &s->err) != LOCUS_OK;
    progress_end(s);
    return failed ? fail(s, "%s", s->err.message) : DONE;
}

typedef struct clustering {
    locus_merge *merges;   // [n - 1]
    size_t *order, *label; // [n]
    size_t clusters;
    double cut;
} clustering;

// The tree, cut into `count` clusters, or at `height` where that is not negative.
static int find_clusters(session *s, const view *v, locus_linkage linkage, size_t count, double height, clustering *out)
{
    locus_explore_opts e = explore_opts(s, v->metric, NULL);
    const locus_points *points = &v->points;
    const size_t n = points->count;
    size_t bytes = locus_cluster_workspace(points, linkage, &e), more = 3 * n * sizeof(size_t);
    void *work = take(s, bytes > more ? bytes : more, 1);
    memset(out, 0, sizeof *out);
    out->merges = (locus_merge *)take(s, n, sizeof *out->merges);
    out->order = (size_t *)take(s, n, sizeof *out->order);
    out->label = (size_t *)take(s, n, sizeof *out->label);
    if (!work || !out->merges || !out->order || !out->label) return FAILED;
    progress_begin(s, "cluster");
    int failed = locus_cluster(points, linkage, out->merges, &e, work, bytes, &s->err) != LOCUS_OK;
    progress_end(s);
    if (count > n) count = n;
    if (failed ||
        locus_cluster_cut(out->merges, n, height >= 0.0 ? 0 : count, height, out->label, &out->clusters, work, more,
                          &s->err) ||
        locus_cluster_order(out->merges, n, out->order, work, more, &s->err))
        return fail(s, "%s", s->err.message);
    // numbered as they stand in the order
    size_t *number = (size_t *)take(s, n, sizeof *number), numbered = 0;
    if (!number) return FAILED;
    for (size_t i = 0; i < n; ++i)
        if (!number[out->label[out->order[i]]]) number[out->label[out->order[i]]] = ++numbered;
    for (size_t i = 0; i < n; ++i) out->label[i] = number[out->label[i]] - 1;
    // a cut half way between the last merge that is done and the first that is not
    double below = n > out->clusters ? out->merges[n - out->clusters - 1].height : 0.0;
    out->cut = out->clusters > 1 ? 0.5 * (below + out->merges[n - out->clusters].height) : below;
    if (height >= 0.0) out->cut = height;
    return DONE;
}

// What is asked for by neither --count nor --height.
static size_t usual_clusters(size_t models)
{
    size_t k = (size_t)(sqrt((double)models) + 0.5);
    return k < 2 ? 2 : k > 8 ? 8 : k;
}

// "Yi-34B and 4 more": a cluster by its medoid, for legends.
static int name_clusters(session *s, const clustering *c, size_t n, const float *distances, size_t **medoids,
                         size_t **sizes, const char ***names)
{
    double *best = (double *)take(s, c->clusters, sizeof *best);
    *medoids = (size_t *)take(s, c->clusters, sizeof **medoids);
    *sizes = (size_t *)take(s, c->clusters, sizeof **sizes);
    *names = (const char **)take(s, c->clusters, sizeof **names);
    if (!best || !*medoids || !*sizes || !*names) return FAILED;
    for (size_t i = 0; i < n; ++i) {
        double sum = 0.0;
        size_t g = c->label[i];
        for (size_t j = 0; distances && j < n; ++j)
            if (c->label[j] == g) sum += (double)distances[i * n + j];
        if ((*sizes)[g]++ == 0 || sum < best[g]) best[g] = sum, (*medoids)[g] = i;
    }
    for (size_t g = 0; g < c->clusters; ++g) {
        const char *name = model_name(s, (*medoids)[g]);
        char *text = (char *)take(s, strlen(name) + 40, 1);
        if (!text) return FAILED;
        if ((*sizes)[g] > 1) sprintf(text, "%s and %zu more", name, (*sizes)[g] - 1);
        else strcpy(text, name);
        (*names)[g] = text;
    }
    return DONE;
}

// ----------------------------------------------------------------------------------------------- tables and pictures

static const char *percent(char text[48], double value)
{
    if (is_finite(value)) snprintf(text, 48, "%.1f %%", 100.0 * value);
    else snprintf(text, 48, "-");
    return text;
}

// "71.2 % (68.0 to 74.3)"
static const char *percents(char text[48], const locus_interval *x)
{
    if (is_finite(x->value) && is_finite(x->low) && is_finite(x->high))
        snprintf(text, 48, "%.1f %% (%.1f to %.1f)", 100.0 * x->value, 100.0 * x->low, 100.0 * x->high);
    else percent(text, x->value);
    return text;
}

static void json_interval(const char *name, const locus_interval *x)
{
    json("'");
    printf("%s", name);
    json("':{'value':%d,'low':%d,'high':%d}", x->value, x->low, x->high);
}

// The query's words on one line, if there are any, cut to `columns`.
static void print_words(const session *s, const char *const *texts, size_t row, int columns)
{
    (void)s;
    if (!texts) return;
    const char *c = texts[row];
    printf("  ");
    for (int k = 0; *c && k < columns; ++k) {
        size_t n = utf8_bytes(c) ? utf8_bytes(c) : 1;
        if (n == 1 && ((unsigned char)*c < 0x20 || *c == 0x7F)) putchar(' ');
        else fwrite(c, 1, n, stdout);
        c += n;
    }
    if (*c) printf("...");
}

typedef void (*drawing)(FILE *f, const void *picture);

// --svg and --html: the picture, alone or in a page.
static int save_picture(session *s, drawing draw, const void *picture, const char *title)
{
    char temporary[4096];
    for (int page = 0; page < 2; ++page) {
        const char *path = page ? s->opt.html : s->opt.svg;
        if (!path) continue;
        FILE *f = text_begin(s, path, temporary);
        if (!f) return FAILED;
        if (page) {
            fprintf(f, "<!DOCTYPE html>\n<html lang='en'>\n<meta charset='utf-8'>\n<meta name='viewport' "
                       "content='width=device-width'>\n<title>");
            xml_text(f, title);
            fprintf(f, "</title>\n<style>html{color-scheme:light dark}body{margin:0}"
                       "@media(prefers-color-scheme:dark){body{background:#14171c}}</style>\n");
        }
        draw(f, picture);
        if (page) fprintf(f, "</html>\n");
        if (text_end(s, f, temporary, path)) return FAILED;
    }
    return DONE;
}

static int wants_picture(const session *s) { return s->opt.svg || s->opt.html; }

// Where the pictures went, under the table.
static void mention_pictures(const session *s)
{
    if (!wants_picture(s) || s->opt.json) return;
    printf("\nwritten: %s%s%s\n", s->opt.svg ? s->opt.svg : "", s->opt.svg && s->opt.html ? ", " : "",
           s->opt.html ? s->opt.html : "");
}

static const char **all_names(session *s)
{
    size_t m = locus_pool_count(s->pool);
    const char **names = (const char **)take(s, m, sizeof *names);
    for (size_t i = 0; names && i < m; ++i) names[i] = model_name(s, i);
    return names;
}

// Every pair's distance and expected or observed disagreement, for the scatter.
typedef struct pairs {
    double *distance, *disagreement;
    size_t count;
    int observed;
} pairs;

static size_t unlike(const unsigned char *a, const unsigned char *b, size_t n, size_t *shared)
{
    size_t different = 0;
    *shared = 0;
    for (size_t i = 0; i < n; ++i) {
        if (a[i] == 255 || b[i] == 255) continue;
        ++*shared;
        different += a[i] != b[i];
    }
    return different;
}

static int collect_pairs(session *s, const sample *x, const float *distances, const float *expected, pairs *out)
{
    const size_t m = x->models;
    memset(out, 0, sizeof *out);
    out->distance = (double *)take(s, m * (m - 1) / 2, sizeof *out->distance);
    out->disagreement = (double *)take(s, m * (m - 1) / 2, sizeof *out->disagreement);
    if (!out->distance || !out->disagreement) return FAILED;
    out->observed = x->scores != NULL;
    for (size_t i = 0; i < m; ++i)
        for (size_t j = 0; j < i; ++j) {
            size_t shared = 0, different = 0;
            if (x->scores) different = unlike(x->scores + i * x->n, x->scores + j * x->n, x->n, &shared);
            if (x->scores && !shared) continue;
            out->distance[out->count] = (double)distances[i * m + j];
            out->disagreement[out->count++] =
                x->scores ? (double)different / (double)shared : (double)expected[i * m + j];
        }
    return DONE;
}

static int save_scatter(session *s, const sample *x, const pairs *p, const pair_mark *marks, size_t mark_count)
{
    scatter_picture picture;
    memset(&picture, 0, sizeof picture);
    picture.title = phrase(s, "Distance and disagreement of %zu models", x->models);
    picture.note = phrase(s, "all pairs, %zu queries", x->n);
    picture.x_name = "cosine distance of the embeddings";
    picture.y_name = p->observed ? "share of unlike answers, observed" : "expected share of unlike answers";
    picture.x = p->distance;
    picture.y = p->disagreement;
    picture.n = p->count;
    picture.marks = marks;
    picture.mark_count = mark_count;
    return save_picture(s, draw_scatter, &picture, picture.title);
}

// Map of the pool in this view; centre and its neighbours stand out (SIZE_MAX: none).
static int save_map(session *s, const sample *x, const view *v, size_t centre, const locus_neighbour *nearest, size_t k)
{
    const size_t m = x->models;
    map_picture picture;
    clustering c;
    float *distances = NULL, *xy = (float *)take(s, 4 * m, sizeof *xy);
    size_t *medoids, *sizes, *nearby = (size_t *)take(s, k, sizeof *nearby), found = 0;
    const char **group_names;
    memset(&picture, 0, sizeof picture);
    if (!xy || !nearby || all_distances(s, v, &distances) ||
        find_clusters(s, v, LOCUS_AVERAGE, usual_clusters(m), -1.0, &c) ||
        name_clusters(s, &c, m, distances, &medoids, &sizes, &group_names))
        return FAILED;
    if (principal_components(v->points.rows, m, v->points.dim, v->points.stride, xy, picture.share) ||
        layout_map(distances, m, xy + 2 * m))
        return fail(s, "out of memory");
    while (found < k && nearest[found].index != SIZE_MAX) nearby[found] = nearest[found].index, ++found;
    picture.title = centre == SIZE_MAX ? phrase(s, "Map of %zu models", m)
                                       : phrase(s, "Neighbours of %s among %zu models", model_name(s, centre), m);
    picture.note = v->note;
    picture.n = m;
    picture.names = all_names(s);
    picture.principal = xy;
    picture.map = xy + 2 * m;
    picture.group = c.label;
    picture.groups = c.clusters;
    picture.group_names = group_names;
    picture.centre = centre;
    picture.nearby = nearby;
    picture.nearby_count = found;
    return picture.names ? save_picture(s, draw_map, &picture, picture.title) : FAILED;
}

// ------------------------------------------------------------------------------------------------------------ compare

// A pool of what a model might be, given only its evaluations among --scores: *out stays NULL where that cannot be
// said.
static int resample_model(session *s, const sample *x, size_t model, locus_pool **out)
{
    locus_evals evals;
    locus_resample_opts opts;
    size_t count = 0;
    *out = NULL;
    if (!x->scores || !s->info.has_encoder) return DONE;
    for (size_t i = 0; i < x->n; ++i) count += x->scores[model * x->n + i] != 255;
    if (count < 2) return DONE;
    memset(&evals, 0, sizeof evals);
    memset(&opts, 0, sizeof opts);
    evals.queries = x->queries;
    evals.scores.models = 1;
    evals.scores.u8 = x->scores + model * x->n;
    opts.seed = 1 + model;
    opts.parallel = s->parallel;
    opts.progress = progress;
    opts.user = s;
    progress_begin(s, "resample");
    int failed = locus_pool_resample(out, s->pool, &evals, &opts, &s->err) != LOCUS_OK;
    progress_end(s);
    return failed ? fail(s, "--scores %s: %s: %s", s->opt.scores, model_name(s, model), s->err.message) : DONE;
}

// The model's row of `points`, and below it those of its resampled versions.
static int stack_rows(session *s, const locus_points *points, size_t model, const locus_points *versions,
                      locus_points *out)
{
    const size_t more = versions ? versions->count : 0, dim = points->dim;
    float *rows = (float *)take(s, 1 + more, dim * sizeof *rows);
    if (!rows) return FAILED;
    memcpy(rows, points->rows + model * (points->stride ? points->stride : dim), dim * sizeof *rows);
    for (size_t i = 0; i < more; ++i)
        memcpy(rows + (1 + i) * dim, versions->rows + i * (versions->stride ? versions->stride : dim),
               dim * sizeof *rows);
    memset(out, 0, sizeof *out);
    out->rows = rows;
    out->count = 1 + more;
    out->dim = dim;
    return DONE;
}

typedef struct versions { // of one model: row 0 as it is, further rows resampled
    locus_points embeddings, profiles;
} versions;

static int load_versions(session *s, const sample *x, size_t model, versions *out)
{
    locus_points own = locus_pool_points(s->pool), more;
    locus_pool *resampled = NULL;
    float *profiles = NULL;
    int status = resample_model(s, x, model, &resampled);
    memset(out, 0, sizeof *out);
    memset(&more, 0, sizeof more);
    if (!status && resampled) {
        more = locus_pool_points(resampled);
        status = stack_rows(s, &own, model, &more, &out->embeddings);
        if (!status && x->n) status = profiles_of(s, resampled, &x->queries, &profiles);
        more.rows = profiles, more.dim = x->n, more.stride = 0;
    } else if (!status) {
        status = stack_rows(s, &own, model, NULL, &out->embeddings);
    }
    if (!status && x->n) status = stack_rows(s, &x->profiles, model, profiles ? &more : NULL, &out->profiles);
    locus_pool_destroy(resampled);
    return status;
}

// Distance of the embeddings, with the interval that the resampled ones give.
static int distance_interval(session *s, const versions *a, const versions *b, locus_interval *out)
{
    const size_t n = a->embeddings.count < b->embeddings.count ? a->embeddings.count : b->embeddings.count;
    locus_explore_opts e = explore_opts(s, LOCUS_COSINE, NULL);
    size_t bytes = locus_distances_workspace(&a->embeddings, &b->embeddings, &e);
    void *work = take(s, bytes, 1);
    float *d = (float *)take(s, a->embeddings.count, b->embeddings.count * sizeof *d);
    double *resampled = (double *)take(s, n, sizeof *resampled);
    if (!work || !d || !resampled) return FAILED;
    if (locus_distances(&a->embeddings, &b->embeddings, d, &e, work, bytes, &s->err))
        return fail(s, "%s", s->err.message);
    for (size_t i = 1; i < n; ++i) resampled[i - 1] = (double)d[i * b->embeddings.count + i];
    *out = locus_interval_of((double)d[0], resampled, n - 1, 0, 0.9);
    if (out->low < 0.0) out->low = 0.0;
    return DONE;
}

typedef struct contrast { // of two models in one category
    size_t category, queries;
    double a, b;
    locus_interval difference;
} contrast;

static int by_contrast(const void *a, const void *b)
{
    const contrast *x = (const contrast *)a, *y = (const contrast *)b;
    double p = fabs(x->difference.value), q = fabs(y->difference.value);
    return p > q ? -1 : p < q ? 1 : (x->category > y->category) - (x->category < y->category);
}

// The categories with queries, the largest difference first.
static int contrast_categories(session *s, const sample *x, size_t a, size_t b, const locus_interval *difference,
                               contrast **out, size_t *count)
{
    double *means = (double *)take(s, x->models, x->categories * sizeof *means);
    *out = (contrast *)take(s, x->categories, sizeof **out);
    *count = 0;
    if (!means || !*out) return FAILED;
    if (locus_category_means(&x->profiles, x->category, x->categories, means, &s->err))
        return fail(s, "%s", s->err.message);
    for (size_t c = 0; c < x->categories; ++c) {
        contrast *to = &(*out)[*count];
        to->category = c;
        to->queries = 0;
        for (size_t i = 0; i < x->n; ++i) to->queries += x->category[i] == (int32_t)c;
        to->a = means[a * x->categories + c];
        to->b = means[b * x->categories + c];
        to->difference = difference[c];
        if (to->queries) ++*count;
    }
    qsort(*out, *count, sizeof **out, by_contrast);
    return DONE;
}

// Of a's neighbours by cosine, the how-manieth is b?
static size_t neighbour_rank(const float *distances, size_t n, size_t a, size_t b)
{
    size_t rank = 1;
    for (size_t i = 0; i < n; ++i)
        if (i != a && i != b &&
            (distances[a * n + i] < distances[a * n + b] || (distances[a * n + i] <= distances[a * n + b] && i < b)))
            ++rank;
    return rank;
}

static int run_compare(session *s)
{
    sample x;
    versions va, vb;
    locus_comparison c;
    locus_compare_opts opts;
    locus_interval distance;
    contrast *list = NULL;
    size_t a, b, listed = 0;
    float *distances = NULL;
    view embeddings, chances;
    char t[3][48];
    int status = open_sample(s, wants_picture(s) ? SAMPLE_NEEDED : SAMPLE_OPTIONAL, &x), width = 8;
    if (status) return status;
    if (find_model(s, "A", s->opt.file, &a) || find_model(s, "B", s->opt.second, &b)) return FAILED;
    if (a == b) return misuse(s, "expected two models, found %s twice", s->opt.file);
    if ((status = choose_view(s, &x, LOCUS_COSINE, &embeddings)) != DONE) return status;
    if (all_distances(s, &embeddings, &distances) || load_versions(s, &x, a, &va) || load_versions(s, &x, b, &vb) ||
        distance_interval(s, &va, &vb, &distance))
        return FAILED;
    memset(&c, 0, sizeof c);
    memset(&opts, 0, sizeof opts);
    if (x.n) {
        opts.correlation = 0.3; // of real models' answers, given their chances (bench/RESULTS-explore.md)
        opts.category = x.category;
        opts.categories = x.categories;
        opts.by_category = x.category ? (locus_interval *)take(s, x.categories, sizeof *opts.by_category) : NULL;
        opts.scores_a = x.scores ? x.scores + a * x.n : NULL;
        opts.scores_b = x.scores ? x.scores + b * x.n : NULL;
        opts.answers = x.scores ? x.n : 0;
        if (x.category && !opts.by_category) return FAILED;
        if (locus_compare(&va.profiles, &vb.profiles, &opts, &c, &s->err)) return fail(s, "%s", s->err.message);
        if (x.category && contrast_categories(s, &x, a, b, opts.by_category, &list, &listed)) return FAILED;
    }
    if (wants_picture(s)) {
        pairs p;
        pair_mark mark;
        float *expected = NULL;
        if (choose_view(s, &x, LOCUS_DISAGREEMENT, &chances) || all_distances(s, &chances, &expected) ||
            collect_pairs(s, &x, distances, expected, &p))
            return FAILED;
        mark.x = distance.value;
        mark.y = p.observed ? 1.0 - c.observed.value : 1.0 - c.agreement.value;
        mark.text = phrase(s, "%s, %s", model_name(s, a), model_name(s, b));
        if (save_scatter(s, &x, &p, &mark, mark.y >= 0.0)) return FAILED;
    }
    const locus_model *ma = locus_pool_model(s->pool, a), *mb = locus_pool_model(s->pool, b);
    size_t rank_a = neighbour_rank(distances, x.models, a, b), rank_b = neighbour_rank(distances, x.models, b, a);
    if (s->opt.json) {
        json("{'a':%s,'b':%s,'level':0.9,", ma->name, mb->name);
        json_interval("cosine_distance", &distance);
        json(",'rank_of_b_for_a':%u,'rank_of_a_for_b':%u,'queries':%u", rank_a, rank_b, x.n);
        if (x.n) {
            json(",");
            json_interval("accuracy_a", &c.accuracy_a);
            json(",");
            json_interval("accuracy_b", &c.accuracy_b);
            json(",");
            json_interval("difference", &c.difference);
            json(",");
            json_interval("predicted_agreement", &c.agreement);
            json(",");
            json_interval("observed_agreement", &c.observed);
            json(",'shared':%u,'categories':[", c.shared);
            for (size_t i = 0; i < listed; ++i) {
                json("%c{'category':%s,'queries':%u,'accuracy_a':%d,'accuracy_b':%d,", i > 0, x.names[list[i].category],
                     list[i].queries, list[i].a, list[i].b);
                json_interval("difference", &list[i].difference);
                json("}");
            }
            json("]");
        }
        json("}\n");
        return DONE;
    }
    printf("A  ");
    print_text(ma->name, 0);
    printf("\nB  ");
    print_text(mb->name, 0);
    printf("\n\ncosine distance      %.4f", distance.value);
    if (is_finite(distance.low)) printf(" (%.4f to %.4f)", distance.low, distance.high);
    printf("; B is neighbour %zu of A, A is neighbour %zu of B, of %zu\n", rank_a, rank_b, x.models - 1);
    if (x.n) {
        printf("expected accuracy    A %s, B %s\n", percents(t[0], &c.accuracy_a), percents(t[1], &c.accuracy_b));
        printf("difference A - B     %s\n", percents(t[0], &c.difference));
        printf("expected agreement   %s of %zu queries\n", percents(t[0], &c.agreement), x.n);
        if (c.shared) printf("observed agreement   %s of %zu queries\n", percents(t[0], &c.observed), c.shared);
        if (is_finite(c.difference.low) || c.shared) printf("(in brackets: 90 %% intervals)\n");
    } else {
        printf("--encodings or --text with sample queries tells more: accuracy and agreement\n");
    }
    for (size_t i = 0; i < listed; ++i)
        if (text_width(x.names[list[i].category]) > width) width = text_width(x.names[list[i].category]);
    if (listed) {
        putchar('\n');
        print_text("category", width);
        printf("  %7s  %7s  %7s  %s\n", "queries", "A", "B", "A - B");
    }
    for (size_t i = 0; i < listed; ++i) {
        print_text(x.names[list[i].category], width);
        printf("  %7zu  %7s  %7s  %s\n", list[i].queries, percent(t[0], list[i].a), percent(t[1], list[i].b),
               percents(t[2], &list[i].difference));
    }
    mention_pictures(s);
    return DONE;
}

// --------------------------------------------------------------------------------------------------------- neighbours

static int run_neighbours(session *s)
{
    sample x;
    view v;
    locus_points of, *one = NULL;
    locus_neighbour *nearest = NULL;
    size_t target = SIZE_MAX, top = s->opt.top;
    int status = open_sample(s, SAMPLE_OPTIONAL, &x), width;
    if (status) return status;
    width = longest_name(s);
    if ((status = choose_view(s, &x, -1, &v)) != DONE) return status;
    if (s->opt.file && find_model(s, "NAME", s->opt.file, &target)) return FAILED;
    if (!top) top = target == SIZE_MAX ? 3 : 10;
    if (top > x.models) top = x.models;
    if (target != SIZE_MAX) { // one more, because it finds itself
        x.available[target] = 0;
        of = v.points;
        of.rows += target * (of.stride ? of.stride : of.dim);
        of.count = 1;
        one = &of;
    }
    if (find_neighbours(s, &v, one, top, x.available, &nearest)) return FAILED;
    if (wants_picture(s) && save_map(s, &x, &v, target, nearest, target == SIZE_MAX ? 0 : top)) return FAILED;
    const size_t first = target == SIZE_MAX ? 0 : target, count = target == SIZE_MAX ? x.models : 1;
    if (s->opt.json) {
        json("{'metric':%s,'queries':%u,'models':[", v.name, x.n);
        for (size_t i = 0; i < count; ++i) {
            json("%c\n{'model':%s,'neighbours':[", i > 0, model_name(s, first + i));
            for (size_t k = 0; k < top && nearest[i * top + k].index != SIZE_MAX; ++k)
                json("%c{'model':%s,'index':%u,'distance':%f}", k > 0, model_name(s, nearest[i * top + k].index),
                     nearest[i * top + k].index, (double)nearest[i * top + k].distance);
            json("]}");
        }
        json("]}\n");
        return DONE;
    }
    if (target == SIZE_MAX) {
        printf("The nearest of each model: %s\n\n", v.words);
        for (size_t i = 0; i < count; ++i) {
            print_text(model_name(s, i), width);
            for (size_t k = 0; k < top && nearest[i * top + k].index != SIZE_MAX; ++k) {
                printf("  %.4f ", (double)nearest[i * top + k].distance);
                print_text(model_name(s, nearest[i * top + k].index), k + 1 < top ? width : 0);
            }
            putchar('\n');
        }
        mention_pictures(s);
        return DONE;
    }
    printf("%4s  ", "rank");
    print_text("model", width);
    printf("  %12s%s  %10s  %10s\n", v.name, x.n ? "  accuracy" : "", "params (B)", "cost");
    for (size_t k = 0; k < top && nearest[k].index != SIZE_MAX; ++k) {
        const locus_model *m = locus_pool_model(s->pool, nearest[k].index);
        char parameters[32] = "-", t[48];
        if (!is_nan(m->parameters_b)) snprintf(parameters, sizeof parameters, "%g", (double)m->parameters_b);
        printf("%4zu  ", k + 1);
        print_text(m->name, width);
        if (v.metric == LOCUS_DISAGREEMENT) printf("  %12s", percent(t, (double)nearest[k].distance));
        else printf("  %12.4f", (double)nearest[k].distance);
        if (x.n) printf("  %8s", percent(t, set_value(&x, &nearest[k].index, 1, NULL)));
        printf("  %10s  %10s\n", parameters, cost_text(t, m->cost));
    }
    mention_pictures(s);
    return DONE;
}

// ------------------------------------------------------------------------------------------------------------ cluster

static int save_tree(session *s, const sample *x, const view *v, const char *linkage, const clustering *c,
                     const float *distances, const char *const *group_names)
{
    enum { MOST_CELLS = 300 };
    const size_t m = x->models, cells = m < MOST_CELLS ? m : MOST_CELLS;
    float *means = (float *)take(s, cells, cells * sizeof *means);
    tree_picture picture;
    memset(&picture, 0, sizeof picture);
    picture.names = all_names(s);
    if (!means || !picture.names) return FAILED;
    for (size_t i = 0; i < cells; ++i)
        for (size_t j = 0; j < cells; ++j) {
            double sum = 0.0, count = 0.0;
            for (size_t p = i * m / cells; p < (i + 1) * m / cells; ++p)
                for (size_t q = j * m / cells; q < (j + 1) * m / cells; ++q)
                    sum += (double)distances[c->order[p] * m + c->order[q]], count += 1.0;
            means[i * cells + j] = (float)(sum / count);
        }
    picture.title = phrase(s, "Clusters of %zu models", m);
    picture.note = phrase(s, "%s linkage, %s", linkage, v->note);
    picture.metric = v->words;
    picture.n = m;
    picture.merges = c->merges;
    picture.order = c->order;
    picture.group = c->label;
    picture.groups = c->clusters;
    picture.group_names = group_names;
    picture.cut = c->cut;
    picture.cells = means;
    picture.cell_count = cells;
    return save_picture(s, draw_tree, &picture, picture.title);
}

static int run_cluster(session *s)
{
    static const char *const linkages[] = {"average", "complete", "single", "ward"};
    const options *o = &s->opt;
    const locus_linkage linkage = (locus_linkage)o->linkage;
    sample x;
    view v;
    clustering c;
    float *distances = NULL;
    size_t *medoids, *sizes;
    const char **names;
    if (o->count && o->height >= 0.0) return misuse(s, "--count and --height exclude each other");
    if (linkage == LOCUS_WARD && (o->metric == 1 || o->metric == 3))
        return misuse(s, "--linkage ward needs --metric euclidean or chances");
    int status = open_sample(s, SAMPLE_OPTIONAL, &x), width;
    if (status) return status;
    width = longest_name(s);
    if ((status = choose_view(s, &x, linkage == LOCUS_WARD && !x.n ? LOCUS_EUCLIDEAN : -1, &v)) != DONE) return status;
    if (o->count > x.models) return fail(s, "--count %zu: the pool has %zu models", o->count, x.models);
    if (find_clusters(s, &v, linkage, o->count ? o->count : usual_clusters(x.models), o->height, &c)) return FAILED;
    if (x.models <= MOST_PAIRED && all_distances(s, &v, &distances)) return FAILED;
    if (name_clusters(s, &c, x.models, distances, &medoids, &sizes, &names)) return FAILED;
    if (wants_picture(s)) {
        if (!distances)
            return fail(s, "--svg, --html: a heat map shows up to %d models, the pool has %zu", MOST_PAIRED, x.models);
        if (save_tree(s, &x, &v, linkages[linkage], &c, distances, names)) return FAILED;
    }
    if (o->json) {
        json("{'metric':%s,'linkage':%s,'queries':%u,'cut':%d,'clusters':[", v.name, linkages[linkage], x.n, c.cut);
        for (size_t g = 0; g < c.clusters; ++g) {
            size_t shown = 0;
            json("%c\n{'cluster':%u,'medoid':%s,'models':[", g > 0, g, model_name(s, medoids[g]));
            for (size_t i = 0; i < x.models; ++i)
                if (c.label[c.order[i]] == g) json("%c%s", shown++ > 0, model_name(s, c.order[i]));
            json("]}");
        }
        json("],\n'order':[");
        for (size_t i = 0; i < x.models; ++i) json("%c%u", i > 0, c.order[i]);
        json("],\n'merges':[");
        for (size_t i = 0; i + 1 < x.models; ++i)
            json("%c[%u,%u,%d,%u]", i > 0, c.merges[i].a, c.merges[i].b, c.merges[i].height, c.merges[i].size);
        json("]}\n");
        return DONE;
    }
    printf("%zu clusters of %zu models: %s linkage, %s\n", c.clusters, x.models, linkages[linkage], v.words);
    for (size_t i = 0, last = SIZE_MAX; i < x.models; ++i) { // a cluster's leaves stand side by side
        size_t model = c.order[i], g = c.label[model];
        if (g != last) {
            printf("\ncluster %zu, %zu model%s%s", g + 1, sizes[g], sizes[g] == 1 ? "" : "s",
                   distances && sizes[g] > 2 ? ", around " : "");
            if (distances && sizes[g] > 2) print_text(model_name(s, medoids[g]), 0);
            putchar('\n');
        }
        last = g;
        double sum = 0.0;
        for (size_t j = 0; distances && j < x.models; ++j)
            if (c.label[j] == g) sum += (double)distances[model * x.models + j];
        printf("  ");
        print_text(model_name(s, model), distances && sizes[g] > 1 ? width : 0);
        if (distances && sizes[g] > 1) printf("  %.4f from the others", sum / (double)(sizes[g] - 1));
        putchar('\n');
    }
    mention_pictures(s);
    return DONE;
}

// ---------------------------------------------------------------------------------------------------------- portfolio

typedef struct holdings { // a portfolio
    size_t *picks, count;
    double value, cost, bound; // NaN: not known
} holdings;

typedef enum pick_method { BY_VALUE, BY_CENTERS, BY_MEDOIDS, BY_COVERAGE } pick_method;

// The best set by value within the limits.
static int choose_by_value(session *s, const sample *x, const float *cost, size_t count, double budget, double lambda,
                           holdings *out)
{
    locus_portfolio_opts opts;
    locus_portfolio found;
    memset(&opts, 0, sizeof opts);
    opts.count = count;
    opts.budget = budget > 0.0 ? budget : 0.0;
    opts.lambda = lambda > 0.0 ? lambda : 0.0;
    opts.cost = cost;
    opts.available = x->available;
    opts.parallel = s->parallel;
    size_t bytes = locus_portfolio_workspace(&x->profiles, &opts);
    out->picks = (size_t *)take(s, x->models, sizeof *out->picks);
    void *work = out->picks ? malloc(bytes) : NULL; // not take: a curve asks for many
    if (!out->picks) return FAILED;
    if (!work) return fail(s, "out of memory: %zu bytes", bytes);
    int failed =
        locus_portfolio_choose(&x->profiles, &opts, out->picks, NULL, &found, work, bytes, &s->err) != LOCUS_OK;
    free(work);
    if (failed)
        return opts.budget > 0.0 ? fail(s, "--budget %g: %s", budget, s->err.message) : fail(s, "%s", s->err.message);
    out->count = found.count;
    out->value = found.value;
    out->cost = found.cost;
    out->bound = found.bound;
    return DONE;
}

// k models by their places alone.
static int choose_by_place(session *s, const sample *x, const view *v, pick_method method, size_t k, holdings *out)
{
    locus_explore_opts e = explore_opts(s, v->metric, x->available);
    const locus_points *points = &v->points;
    size_t bytes =
        method == BY_CENTERS ? locus_centers_workspace(points, k, &e) : locus_medoids_workspace(points, k, &e);
    out->picks = (size_t *)take(s, x->models, sizeof *out->picks);
    void *work = out->picks ? malloc(bytes) : NULL;
    if (!out->picks) return FAILED;
    if (!work) return fail(s, "out of memory: %zu bytes", bytes);
    locus_status status = method == BY_CENTERS
                              ? locus_centers(points, k, out->picks, NULL, &e, work, bytes, &s->err)
                              : locus_medoids(points, k, out->picks, NULL, NULL, &e, work, bytes, &s->err);
    free(work);
    if (status) return fail(s, "%s", s->err.message);
    out->count = k;
    return DONE;
}

static int choose_by_coverage(session *s, const sample *x, const view *v, const float *cost, double budget,
                              holdings *out)
{
    locus_explore_opts e = explore_opts(s, v->metric, x->available);
    const locus_points *points = &v->points;
    size_t bytes = locus_coverage_workspace(points, &e);
    void *work = take(s, bytes, 1);
    out->picks = (size_t *)take(s, x->models, sizeof *out->picks);
    if (!work || !out->picks) return FAILED;
    for (size_t i = 0; i < x->models; ++i)
        if (!(cost[i] > 0.0f))
            return fail(s, "--method coverage: %s costs nothing; gain per cost needs a cost of every model",
                        model_name(s, i));
    if (locus_coverage(points, cost, budget, out->picks, &out->count, &e, work, bytes, &s->err))
        return fail(s, "--budget %g: %s", budget, s->err.message);
    return DONE;
}

// Value by size: ours and its bound, k-center, k-medoids, the best single model.
static int save_curves(session *s, const sample *x, const view *v, const float *cost, const holdings *chosen,
                       size_t could)
{
    enum { CURVES = 5, MOST_SIZES = 25 };
    static const char *const names[CURVES] = {"upper bound", "by value", "k-center", "k-medoids", "best single model"};
    static const int hues[CURVES] = {7, 0, 1, 2, 3};
    const size_t n = could < MOST_SIZES ? could : MOST_SIZES;
    double *values = (double *)take(s, CURVES * n, sizeof *values);
    double *gained = (double *)take(s, chosen->count, sizeof *gained), *measured = NULL;
    const char **picked = (const char **)take(s, chosen->count, sizeof *picked);
    curve curves[CURVES + 1];
    curve_picture picture;
    holdings centers, now;
    if (!values || !gained || !picked || choose_by_place(s, x, v, BY_CENTERS, n, &centers)) return FAILED;
    if (x->scores && !(measured = (double *)take(s, n, sizeof *measured))) return FAILED;
    progress_begin(s, "curve");
    for (size_t k = 0; k < n; ++k) {
        if (choose_by_value(s, x, cost, k + 1, 0.0, 0.0, &now)) return FAILED;
        values[k] = now.bound;
        values[n + k] = set_value(x, now.picks, now.count, measured ? &measured[k] : NULL);
        values[2 * n + k] = set_value(x, centers.picks, k + 1, NULL);
        if (choose_by_place(s, x, v, BY_MEDOIDS, k + 1, &now)) return FAILED;
        values[3 * n + k] = set_value(x, now.picks, now.count, NULL);
        values[4 * n + k] = values[n];
        progress(s, k + 1, n);
    }
    progress_end(s);
    for (int c = 0; c < CURVES; ++c) {
        curves[c].name = names[c];
        curves[c].values = values + (size_t)c * n;
        curves[c].hue = hues[c];
        curves[c].dashed = c == 0 || c == CURVES - 1;
    }
    curves[CURVES].name = "by value, measured";
    curves[CURVES].values = measured;
    curves[CURVES].hue = 5;
    curves[CURVES].dashed = 0;
    for (size_t i = 0; i < chosen->count; ++i) {
        picked[i] = model_name(s, chosen->picks[i]);
        gained[i] = set_value(x, chosen->picks, i + 1, NULL);
    }
    memset(&picture, 0, sizeof picture);
    picture.title = phrase(s, "Portfolios of 1 to %zu of %zu models", n, could);
    picture.note =
        phrase(s, "mean over %zu queries of the best predicted chance in the set; places by %s", x->n, v->words);
    picture.y_name = "expected share of right answers";
    picture.curves = curves;
    picture.curve_count = CURVES + (measured != NULL);
    picture.n = n;
    picture.chosen = chosen->count;
    picture.names = picked;
    picture.values = gained;
    return save_picture(s, draw_curves, &picture, picture.title);
}

static int run_portfolio(session *s)
{
    static const char *const methods[] = {"value", "centers", "medoids", "coverage"};
    const options *o = &s->opt;
    const pick_method method = (pick_method)o->method;
    sample x;
    view v;
    holdings h;
    size_t could = 0, best = SIZE_MAX, k = o->count ? o->count : 5;
    double best_value = NAN, all_value = NAN;
    char t[3][48];
    if (method == BY_VALUE && !o->encodings && !o->text_file)
        return misuse(s,
                      "--encodings Q.npy or --text FILE.jsonl is required: sample queries to value a set by; --method "
                      "centers, medoids or coverage looks at the embeddings alone");
    if (method == BY_COVERAGE && !(o->budget > 0.0)) return misuse(s, "--method coverage needs a --budget");
    if (method == BY_COVERAGE && o->count) return misuse(s, "--method coverage takes a --budget, not a --count");
    if ((method == BY_CENTERS || method == BY_MEDOIDS) && (o->budget >= 0.0 || o->lambda >= 0.0))
        return misuse(s, "--budget and --lambda need --method value or coverage");
    if (method == BY_COVERAGE && o->lambda >= 0.0) return misuse(s, "--lambda needs --method value");
    int status = open_sample(s, wants_picture(s) ? SAMPLE_NEEDED : SAMPLE_OPTIONAL, &x), width;
    if (status) return status;
    width = longest_name(s);
    if ((status = choose_view(s, &x, LOCUS_COSINE, &v)) != DONE) return status; // cosine as the paper's
    float *cost = (float *)take(s, x.models, sizeof *cost);
    float *known = (float *)take(s, x.models, sizeof *known);
    size_t *every = (size_t *)take(s, x.models, sizeof *every);
    if (!cost || !known || !every) return FAILED;
    for (size_t i = 0; i < x.models; ++i) {
        cost[i] = (float)locus_pool_model(s->pool, i)->cost;
        known[i] = is_nan(cost[i]) ? 0.0f : cost[i]; // where costs do not count
        if (x.available[i]) every[could++] = i;
        if (x.available[i] && is_nan(cost[i]) && (o->budget >= 0.0 || o->lambda > 0.0))
            return fail(s, "%s: the cost of %s is unknown: leave it out with --available",
                        o->budget >= 0.0 ? "--budget" : "--lambda", model_name(s, i));
    }
    if (could == 0) return fail(s, "no model of the pool is available");
    if (k > could) {
        if (o->count) return fail(s, "--count %zu: %zu models are available", k, could);
        k = could;
    }
    for (size_t i = 0; x.n && i < could; ++i) {
        double worth = set_value(&x, &every[i], 1, NULL);
        if (best == SIZE_MAX || worth > best_value) best = every[i], best_value = worth;
    }
    if (x.n) all_value = set_value(&x, every, could, NULL);
    memset(&h, 0, sizeof h);
    h.bound = h.value = NAN;
    if (method == BY_VALUE) {
        size_t limit = o->count || !(o->budget >= 0.0 || o->lambda > 0.0) ? k : 0;
        if (o->budget >= 0.0 && !(o->budget > 0.0)) return misuse(s, "--budget: expected more than 0");
        if (choose_by_value(s, &x, known, limit, o->budget, o->lambda, &h)) return FAILED;
    } else if (method == BY_COVERAGE) {
        if (choose_by_coverage(s, &x, &v, known, o->budget, &h)) return FAILED;
    } else if (choose_by_place(s, &x, &v, method, k, &h)) {
        return FAILED;
    }
    h.cost = 0.0;
    for (size_t i = 0; i < h.count; ++i) h.cost += (double)cost[h.picks[i]];
    double measured = NAN;
    if (x.n) h.value = set_value(&x, h.picks, h.count, &measured);
    if (wants_picture(s) && save_curves(s, &x, &v, known, &h, could)) return FAILED;
    if (o->json) {
        json("{'method':%s,'queries':%u,'value':%d,'cost':%d,'bound':%d,'measured':%d,", methods[method], x.n, h.value,
             h.cost, h.bound, measured);
        json("'best_single':%s,'best_single_value':%d,'value_of_all':%d,'picks':[",
             best == SIZE_MAX ? "" : model_name(s, best), best_value, all_value);
        for (size_t i = 0; i < h.count; ++i) {
            double m = NAN, worth = x.n ? set_value(&x, h.picks, i + 1, &m) : NAN;
            json("%c{'model':%s,'index':%u,'cost':%f,'value':%d,'measured':%d}", i > 0, model_name(s, h.picks[i]),
                 h.picks[i], (double)cost[h.picks[i]], worth, m);
        }
        json("]}\n");
        return DONE;
    }
    printf("%5s  ", "");
    print_text("model", width);
    printf("  %10s  %10s", "cost", "all cost");
    if (x.n) printf("  %8s", "value");
    if (x.scores) printf("  %8s", "measured");
    putchar('\n');
    double total = 0.0;
    for (size_t i = 0; i < h.count; ++i) {
        double m = NAN, worth = x.n ? set_value(&x, h.picks, i + 1, &m) : NAN;
        total += (double)cost[h.picks[i]];
        printf("%5zu  ", i + 1);
        print_text(model_name(s, h.picks[i]), width);
        printf("  %10s  %10s", cost_text(t[0], (double)cost[h.picks[i]]), cost_text(t[1], total));
        if (x.n) printf("  %8s", percent(t[0], worth));
        if (x.scores) printf("  %8s", percent(t[0], m));
        putchar('\n');
    }
    if (x.n) {
        printf("\nvalue: expected share of right answers over %zu queries, each to the best of the first models\n",
               x.n);
        printf("best single model  ");
        print_text(model_name(s, best), 0);
        printf(", %s; all %zu models %s\n", percent(t[0], best_value), could, percent(t[1], all_value));
    }
    if (method == BY_VALUE && h.count < k && o->count) printf("further models       would add nothing\n");
    if (is_finite(h.bound)) {
        if (o->lambda > 0.0)
            printf("bound              no set has a larger value - lambda * cost than %.4f; this one has %.4f\n",
                   h.bound, h.value - o->lambda * h.cost);
        else
            printf(
                "bound              no set within the limits is worth more than %s; this one is within %.2f points\n",
                percent(t[0], h.bound), 100.0 * (h.bound > h.value ? h.bound - h.value : 0.0));
    }
    mention_pictures(s);
    return DONE;
}

// ------------------------------------------------------------------------------------------------------------- search

// --want "math=0.8,law=50%:2": a wish for each category.
static int read_wishes(session *s, const sample *x, locus_wish *wish)
{
    const char *p = s->opt.want;
    while (p) {
        const char *comma = strchr(p, ','), *nearest = NULL;
        size_t length = comma ? (size_t)(comma - p) : strlen(p), distance = SIZE_MAX, c = 0;
        char *entry = (char *)take(s, length + 1, 1), *equals, *weight;
        locus_wish w;
        if (!entry) return FAILED;
        memcpy(entry, p, length);
        equals = strrchr(entry, '=');
        if (!equals || equals == entry)
            return misuse(s, "--want: expected CATEGORY=ACCURACY[:WEIGHT], found \"%s\"", entry);
        *equals++ = '\0';
        weight = strchr(equals, ':');
        if (weight) *weight++ = '\0';
        w.weight = 1.0;
        size_t digits = strlen(equals);
        int is_percent = digits > 1 && equals[digits - 1] == '%';
        if (is_percent) equals[digits - 1] = '\0';
        int bad = !read_number(equals, &w.accuracy);
        if (is_percent) w.accuracy /= 100.0;
        if (bad || w.accuracy < 0.0 || w.accuracy > 1.0)
            return misuse(s, "--want: %s: expected an accuracy from 0 to 1 (or 0%% to 100%%), found \"%s%s\"", entry,
                          equals, is_percent ? "%" : "");
        if (weight && (!read_number(weight, &w.weight) || w.weight < 0.0))
            return misuse(s, "--want: %s: expected a weight from 0, found \"%s\"", entry, weight);
        for (c = 0; c < x->categories && strcmp(x->names[c], entry) != 0; ++c)
            consider(entry, x->names[c], &nearest, &distance);
        if (c == x->categories)
            return fail(s, "--want: --categories has no \"%s\"%s%s%s", entry, nearest ? " (did you mean " : "",
                        nearest ? nearest : "", nearest ? "?)" : "");
        if (wish[c].weight > 0.0) return misuse(s, "--want: %s is wished twice", entry);
        wish[c] = w;
        p = comma ? comma + 1 : NULL;
    }
    return DONE;
}

// The paper's way: answers drawn at the wished rates, encoded, and the models nearest to that.
static int search_synthetic(session *s, const sample *x, const locus_wish *wish, size_t k, locus_match *out)
{
    locus_evals evals;
    locus_encode_opts opts;
    locus_points of;
    view v;
    locus_neighbour *nearest = NULL;
    unsigned char *scores = (unsigned char *)take(s, x->n, 1);
    float *z = (float *)take(s, s->info.z_dim, sizeof *z);
    if (!scores || !z) return FAILED;
    if (!s->info.has_encoder) return fail(s, "--synthetic: expected a net with an encoder, found a predictor only");
    if (locus_imagine(x->category, x->n, wish, x->categories, 1, scores, &s->err))
        return fail(s, "--want: %s", s->err.message);
    memset(&evals, 0, sizeof evals);
    memset(&opts, 0, sizeof opts);
    evals.queries = x->queries;
    evals.scores.models = 1;
    evals.scores.u8 = scores;
    opts.parallel = s->parallel;
    size_t bytes = locus_encode_workspace(s->net, &evals, &opts);
    void *work = take(s, bytes, 1);
    if (!work) return FAILED;
    if (locus_encode(s->net, &evals, z, &opts, work, bytes, &s->err)) return fail(s, "--want: %s", s->err.message);
    memset(&of, 0, sizeof of);
    of.rows = z;
    of.count = 1;
    of.dim = s->info.z_dim;
    if (choose_view(s, x, LOCUS_COSINE, &v) || find_neighbours(s, &v, &of, k, x->available, &nearest)) return FAILED;
    for (size_t i = 0; i < k; ++i) {
        out[i].model = nearest[i].index;
        out[i].distance = (double)nearest[i].distance;
    }
    return DONE;
}

static int run_search(session *s)
{
    const options *o = &s->opt;
    sample x;
    size_t k = o->top ? o->top : 10, wished = 0;
    if (!o->categories && (o->encodings || o->text_file))
        return misuse(s, "--categories FILE is required: the category of each query");
    int status = open_sample(s, SAMPLE_NEEDED, &x), width;
    if (status) return status;
    width = longest_name(s);
    locus_wish *wish = (locus_wish *)take(s, x.categories, sizeof *wish);
    double *means = (double *)take(s, x.models, x.categories * sizeof *means);
    locus_match *found = (locus_match *)take(s, k, sizeof *found);
    if (!wish || !means || !found) return FAILED;
    if ((status = read_wishes(s, &x, wish)) != DONE) return status;
    if (k > x.models) k = x.models;
    if (locus_category_means(&x.profiles, x.category, x.categories, means, &s->err))
        return fail(s, "%s", s->err.message);
    if (o->synthetic) {
        if (search_synthetic(s, &x, wish, k, found)) return FAILED;
    } else if (locus_search(means, x.models, wish, x.categories, k, x.available, found, &s->err)) {
        return fail(s, "--want: %s", s->err.message);
    }
    for (size_t c = 0; c < x.categories; ++c) wished += wish[c].weight > 0.0;
    if (o->json) {
        json("{'way':%s,'queries':%u,'wish':[", o->synthetic ? "synthetic" : "direct", x.n);
        for (size_t c = 0, shown = 0; c < x.categories; ++c)
            if (wish[c].weight > 0.0)
                json("%c{'category':%s,'accuracy':%d,'weight':%d}", shown++ > 0, x.names[c], wish[c].accuracy,
                     wish[c].weight);
        json("],'models':[");
        for (size_t i = 0; i < k && found[i].model != SIZE_MAX; ++i) {
            json("%c\n{'model':%s,'index':%u,'distance':%d,'categories':[", i > 0, model_name(s, found[i].model),
                 found[i].model, found[i].distance);
            for (size_t c = 0; c < x.categories; ++c) {
                double have = means[found[i].model * x.categories + c];
                json("%c{'category':%s,'expected':%d", c > 0, x.names[c], have);
                if (wish[c].weight > 0.0) json(",'gap':%d", have - wish[c].accuracy);
                json("}");
            }
            json("]}");
        }
        json("]}\n");
        return DONE;
    }
    printf("%4s  ", "rank");
    print_text("model", width);
    printf("  %8s", "distance");
    for (size_t c = 0; c < x.categories; ++c)
        if (wish[c].weight > 0.0) {
            printf("  ");
            print_text(x.names[c], -15);
        }
    printf("\n%4s  ", "");
    print_text("wished", width);
    printf("  %8s", "");
    for (size_t c = 0; c < x.categories; ++c)
        if (wish[c].weight > 0.0) {
            int used = text_width(x.names[c]) > 15 ? text_width(x.names[c]) : 15;
            printf("  %*.1f %%%7s", used - 9, 100.0 * wish[c].accuracy, "");
        }
    putchar('\n');
    for (size_t i = 0; i < k && found[i].model != SIZE_MAX; ++i) {
        printf("%4zu  ", i + 1);
        print_text(model_name(s, found[i].model), width);
        printf("  %8.4f", found[i].distance);
        for (size_t c = 0; c < x.categories; ++c) {
            double have = means[found[i].model * x.categories + c];
            if (wish[c].weight <= 0.0) continue;
            int used = text_width(x.names[c]) > 15 ? text_width(x.names[c]) : 15;
            printf("  %*.1f %%%+7.1f", used - 9, 100.0 * have, 100.0 * (have - wish[c].accuracy));
        }
        putchar('\n');
    }
    (void)wished;
    printf(
        "\n%s\n",
        o->synthetic
            ? "distance: cosine, of the embedding of answers drawn as wished; then expected accuracy and gap, in points"
            : "distance: root of the weighted mean squared gap; then expected accuracy and gap, in points");
    return DONE;
}

// --------------------------------------------------------------------------------------------------------- duplicates

typedef struct likeness { // of two models
    size_t a, b, shared, unlike;
    double distance;       // cosine
    double expected;       // share of unlike answers that the chances make us expect, on the shared queries
    double suspicion;      // the larger, the sooner it is looked at
    double p;              // NaN: not tested
    int same, by_distance; // by_distance: p is of the embeddings
} likeness;

static int by_suspicion(const void *a, const void *b)
{
    const likeness *x = (const likeness *)a, *y = (const likeness *)b;
    if (x->suspicion > y->suspicion || x->suspicion < y->suspicion) return x->suspicion > y->suspicion ? -1 : 1;
    return x->a != y->a ? (x->a > y->a) - (x->a < y->a) : (x->b > y->b) - (x->b < y->b);
}

static int list_likenesses(session *s, const sample *x, const float *distances, likeness **out, size_t *count)
{
    *out = (likeness *)take(s, x->models * (x->models - 1) / 2, sizeof **out);
    *count = 0;
    if (!*out) return FAILED;
    progress_begin(s, "pairs");
    for (size_t b = 0; b < x->models; ++b) {
        for (size_t a = 0; a < b; ++a) {
            likeness *l = &(*out)[(*count)++];
            double expected = 0.0;
            memset(l, 0, sizeof *l);
            l->a = a, l->b = b;
            l->p = NAN;
            l->distance = (double)distances[a * x->models + b];
            if (x->scores) l->unlike = unlike(x->scores + a * x->n, x->scores + b * x->n, x->n, &l->shared);
            for (size_t i = 0; i < x->n; ++i) {
                double p = (double)x->profiles.rows[a * x->n + i], q = (double)x->profiles.rows[b * x->n + i];
                if (!l->shared || (x->scores[a * x->n + i] != 255 && x->scores[b * x->n + i] != 255))
                    expected += p * (1.0 - q) + (1.0 - p) * q;
            }
            l->expected = x->n ? expected / (double)(l->shared ? l->shared : x->n) : NAN;
            l->suspicion = l->shared ? (expected - (double)l->unlike) / sqrt(expected + 1e-9) : -1e6 - l->distance;
        }
        progress(s, b + 1, x->models);
    }
    progress_end(s);
    qsort(*out, *count, sizeof **out, by_suspicion);
    return DONE;
}

// The tests, for the most suspicious pairs. Same: p of the exact one, times the number of pairs, is below 1 %.
// Different means: no more alike than all but the most alike 5 % of the pairs.
static int test_likenesses(session *s, const sample *x, likeness *list, size_t count, size_t pair_count)
{
    size_t bytes = locus_same_answers_workspace(x->n), more = locus_answer_correlation_workspace(x->models);
    void *work = take(s, bytes > more ? bytes : more, 1);
    double correlation = 0.0;
    if (!work) return FAILED;
    if (locus_answer_correlation(&x->profiles, x->scores, 0.95, &correlation, work, more, &s->err))
        return fail(s, "--scores %s: %s", s->opt.scores, s->err.message);
    progress_begin(s, "test");
    for (size_t i = 0; i < count; ++i) {
        likeness *l = &list[i];
        const float *pa = x->profiles.rows + l->a * x->n, *pb = x->profiles.rows + l->b * x->n;
        const unsigned char *sa = x->scores + l->a * x->n, *sb = x->scores + l->b * x->n;
        if (l->shared) {
            if (locus_same_answers(pa, pb, sa, sb, x->n, correlation, &l->p, &l->shared, &l->unlike, work, bytes,
                                   &s->err))
                return fail(s, "--scores %s: %s", s->opt.scores, s->err.message);
            l->same = l->p * (double)pair_count < 0.01;
        } else if (s->info.has_encoder) {
            versions a, b;
            if (load_versions(s, x, l->a, &a) || load_versions(s, x, l->b, &b)) return FAILED;
            if (a.embeddings.count < 3 || b.embeddings.count < 3) continue;
            if (locus_same_embedding(&a.embeddings, &b.embeddings, LOCUS_COSINE, &l->p, &s->err))
                return fail(s, "--scores %s: %s", s->opt.scores, s->err.message);
            l->by_distance = 1;
        }
        progress(s, i + 1, count);
    }
    progress_end(s);
    return DONE;
}

static int run_duplicates(session *s)
{
    sample x;
    likeness *list = NULL;
    view embeddings, chances;
    float *distances = NULL, *expected = NULL;
    size_t count = 0, top = s->opt.top ? s->opt.top : 20, same = 0;
    char t[3][48];
    int status = open_sample(s, wants_picture(s) ? SAMPLE_NEEDED : SAMPLE_OPTIONAL, &x), width;
    if (status) return status;
    width = longest_name(s);
    if (choose_view(s, &x, LOCUS_COSINE, &embeddings) || all_distances(s, &embeddings, &distances) ||
        list_likenesses(s, &x, distances, &list, &count))
        return FAILED;
    if (top > count) top = count;
    if (x.scores && test_likenesses(s, &x, list, top, count)) return FAILED;
    for (size_t i = 0; i < top; ++i) same += (size_t)list[i].same;
    if (wants_picture(s)) {
        pairs p;
        pair_mark marks[12];
        size_t marked = 0;
        if (choose_view(s, &x, LOCUS_DISAGREEMENT, &chances) || all_distances(s, &chances, &expected) ||
            collect_pairs(s, &x, distances, expected, &p))
            return FAILED;
        for (size_t i = 0; i < top && marked < (x.scores ? 12u : 6u); ++i) {
            if (x.scores && !list[i].same) continue;
            marks[marked].x = list[i].distance;
            marks[marked].y = p.observed ? (double)list[i].unlike / (double)list[i].shared : list[i].expected;
            marks[marked++].text = phrase(s, "%s, %s", model_name(s, list[i].a), model_name(s, list[i].b));
        }
        if (save_scatter(s, &x, &p, marks, marked)) return FAILED;
    }
    if (s->opt.json) {
        json("{'pairs_looked_at':%u,'queries':%u,'same':%u,'pairs':[", count, x.n, same);
        for (size_t i = 0; i < top; ++i) {
            const likeness *l = &list[i];
            json("%c\n{'a':%s,'b':%s,'cosine_distance':%d,'expected_disagreement':%d,", i > 0, model_name(s, l->a),
                 model_name(s, l->b), l->distance, l->expected);
            json("'shared':%u,'unlike':%u,'test':%s,'p':%d,'same':%b}", l->shared, l->unlike,
                 !is_finite(l->p) ? "none"
                 : l->by_distance ? "embedding"
                                  : "answers",
                 l->p, l->same);
        }
        json("]}\n");
        return DONE;
    }
    print_text("model", width);
    printf("  ");
    print_text("and", width);
    printf("  %8s  %8s", "cosine", "expected");
    if (x.scores) printf("  %8s  %8s  %9s", "observed", "shared", "p");
    putchar('\n');
    for (size_t i = 0; i < top; ++i) {
        const likeness *l = &list[i];
        print_text(model_name(s, l->a), width);
        printf("  ");
        print_text(model_name(s, l->b), width);
        printf("  %8.5f  %8s", l->distance, percent(t[0], l->expected));
        if (x.scores) {
            printf("  %8s  %8zu", percent(t[1], l->shared ? (double)l->unlike / (double)l->shared : NAN), l->shared);
            if (is_finite(l->p))
                printf("  %9.2g%s", l->p, l->by_distance ? " (of embeddings)" : l->same ? "  same or copies" : "");
            else printf("  %9s", "-");
        }
        putchar('\n');
    }
    if (x.scores)
        printf("\nexpected, observed: share of unlike answers. p: the chance that different models disagree so rarely "
               "(exact).\n"
               "%zu of %zu pairs called the same: p times the number of pairs is below 1 %%.\n",
               same, count);
    else printf("\nThe nearest pairs are candidates, no more: --encodings and --scores test them.\n");
    mention_pictures(s);
    return DONE;
}

// --------------------------------------------------------------------------------------------------------------- next

// One model's scores on n queries, NaN = missing: from [n], [1, n], or its row of [models, n].
static int load_row(session *s, const char *flag_name, const char *path, size_t n, size_t model, float **out)
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

static locus_evals one_model(const locus_queries *queries, const float *scores)
{
    locus_evals e;
    memset(&e, 0, sizeof e);
    e.queries = *queries;
    e.scores.models = 1;
    e.scores.f32 = scores;
    return e;
}

static int run_next(session *s)
{
    const options *o = &s->opt;
    const locus_array *q = NULL;
    locus_queries queries;
    locus_next_opts opts;
    locus_next found;
    float *scores = NULL;
    size_t asked = 0, batch = o->batch ? o->batch : 1;
    char t[48];
    int status = open_net_and_pool(s, 0);
    if (status) return status;
    if ((status = open_encodings(s, &q)) != DONE) return status;
    size_t n = q->shape[0];
    if (float_queries(s, "--encodings", o->encodings ? o->encodings : "", q, &queries)) return FAILED;
    if (o->scores) {
        if (load_row(s, "--scores", o->scores, n, SIZE_MAX, &scores)) return FAILED;
    } else { // nothing is known yet
        if (!(scores = (float *)take(s, n, sizeof *scores))) return FAILED;
        for (size_t i = 0; i < n; ++i) scores[i] = NAN;
    }
    for (size_t i = 0; i < n; ++i) asked += (size_t)!is_nan(scores[i]);
    if (batch > n - asked) {
        if (asked == n) return fail(s, "--scores: every query is answered; there is nothing left to ask");
        batch = n - asked;
    }
    if (start_threads(s)) return FAILED;
    memset(&opts, 0, sizeof opts);
    opts.batch = batch;
    opts.for_routing = o->for_routing;
    locus_evals evals = one_model(&queries, scores);
    size_t *picks = (size_t *)take(s, batch, sizeof *picks);
    if (!picks) return FAILED;
    if (locus_next_evaluations(s->pool, &evals, &opts, picks, &found, &s->err)) return fail(s, "%s", s->err.message);
    if (o->json) {
        json("{'answered':%u,'enough':%b,'error':%d,'gain':%d,", asked, found.enough, found.error, found.gain);
        json_interval("accuracy", &found.accuracy);
        json(",'ask':[");
        for (size_t i = 0; i < found.count; ++i) {
            json("%c{'row':%u", i > 0, picks[i]);
            if (o->text_file) json(",'text':%s", s->texts.texts[picks[i]]);
            json("}");
        }
        json("]}\n");
        return DONE;
    }
    printf("%zu of %zu queries answered; accuracy over all of them: %s (90 %%)\n", asked, n,
           percents(t, &found.accuracy));
    printf("error of the predicted chances that more answers could remove: %.2f points; this batch removes %.1f %% of "
           "its square\n",
           100.0 * found.error, found.error > 0.0 ? 100.0 * found.gain / (found.error * found.error) : 0.0);
    printf("%s\n\n%4s  %9s\n", found.enough ? "enough: more would not pay" : "not enough yet: ask on", "ask",
           "query row");
    for (size_t i = 0; i < found.count; ++i) {
        printf("%4zu  %9zu", i + 1, picks[i]);
        print_words(s, o->text_file ? s->texts.texts : NULL, picks[i], 80);
        putchar('\n');
    }
    return DONE;
}

// ------------------------------------------------------------------------------------------------------------ explain

// The query that is asked about: --question in words, or row --row of --query, or of the evaluated ones.
static int load_question(session *s, const locus_queries *evaluated, const char **name, locus_queries *out)
{
    const options *o = &s->opt;
    const locus_array *a = NULL;
    char meaning[80], found[240];
    size_t row = 0;
    if (o->question && (o->query || o->row)) return misuse(s, "--question excludes --query and --row");
    if (!o->question && !o->query && !o->row)
        return misuse(s, "--question TEXT, --query Q.npy or --row N is required: the query to explain");
    if (o->row && !read_count(o->row, &row))
        return misuse(s, "--row: expected a whole number from 0, found \"%s\"", o->row);
    memset(out, 0, sizeof *out);
    out->count = 1;
    out->dim = s->info.q_dim;
    if (o->question) {
        const locus_text *encoder = locus_net_text(s->net);
        float *q = (float *)take(s, s->info.q_dim, sizeof *q);
        if (!q) return FAILED;
        if (!encoder) return fail(s, "--question: this net reads no text: give --query Q.npy");
        if (locus_encode_text(encoder, o->question, strlen(o->question), q, &s->err))
            return fail(s, "--question: %s", s->err.message);
        out->encodings = q;
        *name = o->question;
        return DONE;
    }
    if (o->query) {
        locus_queries all;
        snprintf(meaning, sizeof meaning, "[queries, %zu]", s->info.q_dim);
        if (open_array(s, "--query", o->query, 2, meaning, &a)) return FAILED;
        if (a->shape[1] != s->info.q_dim)
            return fail(s, "--query %s: expected %s, found %s", o->query, meaning, shape_text(a->shape, 2, found));
        if (float_queries(s, "--query", o->query, a, &all)) return FAILED;
        if (row >= all.count) return fail(s, "--row %zu: --query has %zu rows", row, all.count);
        out->encodings = all.encodings + row * all.dim;
        *name = phrase(s, "row %zu of %s", row, o->query);
        return DONE;
    }
    if (row >= evaluated->count) return fail(s, "--row %zu: %s has %zu rows", row, queries_name(s), evaluated->count);
    out->encodings = evaluated->encodings + row * evaluated->dim;
    *name = phrase(s, "row %zu of %s", row, queries_name(s));
    return DONE;
}

static void print_reasons(session *s, const char *title, const locus_reason *r, size_t count)
{
    printf("\n%s\n  %7s  %10s  %7s  %9s\n", title, "row", "similarity", "outcome", "influence");
    for (size_t i = 0; i < count; ++i) {
        printf("  %7zu  %10.3f  %7.3g  ", r[i].evaluation, (double)r[i].similarity, (double)r[i].score);
        if (is_finite(r[i].influence)) printf("%+9.2f", 100.0 * r[i].influence);
        else printf("%9s", "-");
        print_words(s, s->opt.text_file ? s->texts.texts : NULL, r[i].evaluation, 70);
        putchar('\n');
    }
}

static void json_reasons(const char *name, const locus_reason *r, size_t count)
{
    json(",'");
    printf("%s", name);
    json("':[");
    for (size_t i = 0; i < count; ++i)
        json("%c{'row':%u,'similarity':%f,'score':%f,'influence':%d}", i > 0, r[i].evaluation, (double)r[i].similarity,
             (double)r[i].score, r[i].influence);
    json("]");
}

static int run_explain(session *s)
{
    const options *o = &s->opt;
    const locus_array *q = NULL;
    const char *name = "";
    locus_queries evaluated, query;
    locus_explain_opts opts;
    locus_explanation why;
    float *scores = NULL;
    size_t model, k = o->top ? o->top : 8;
    int status = open_net_and_pool(s, 0);
    if (status) return status;
    size_t m = locus_pool_count(s->pool);
    if (m == 0) return fail(s, "the pool is empty");
    if (!s->info.has_encoder) return fail(s, "expected a net with an encoder, found a predictor only");
    if ((status = open_encodings(s, &q)) != DONE) return status;
    if (float_queries(s, "--encodings", o->encodings ? o->encodings : "", q, &evaluated)) return FAILED;
    if ((status = load_question(s, &evaluated, &name, &query)) != DONE) return status;
    if (start_threads(s)) return FAILED;
    if (o->file) {
        if (find_model(s, "NAME", o->file, &model)) return FAILED;
    } else { // the one that would be chosen
        locus_choice choice;
        size_t bytes = locus_route_workspace(s->pool, 1, NULL);
        void *work = take(s, bytes, 1);
        if (!work) return FAILED;
        if (locus_route(s->pool, &query, NULL, &choice, NULL, work, bytes, &s->err))
            return fail(s, "%s", s->err.message);
        model = choice.model;
    }
    if (load_row(s, "--scores", o->scores, evaluated.count, model, &scores)) return FAILED;
    locus_reason *influences = (locus_reason *)take(s, k, sizeof *influences),
                 *nearest = (locus_reason *)take(s, k, sizeof *nearest);
    if (!influences || !nearest) return FAILED;
    memset(&opts, 0, sizeof opts);
    opts.count = k;
    opts.parallel = s->parallel;
    opts.progress = progress;
    opts.user = s;
    locus_evals evals = one_model(&evaluated, scores);
    progress_begin(s, "explain");
    int failed = locus_explain(s->pool, model, &evals, &query, &opts, &why, influences, nearest, &s->err) != LOCUS_OK;
    progress_end(s);
    if (failed) return fail(s, "%s, --scores %s: %s", queries_name(s), o->scores, s->err.message);
    const char *second = why.runner_up == SIZE_MAX ? "" : model_name(s, why.runner_up);
    if (o->json) {
        json("{'query':%s,'model':%s,'probability':%d,", name, model_name(s, model), why.probability);
        json("'runner_up':%s,'runner_up_probability':%d,'margin':%d", second, why.runner_up_probability, why.margin);
        json_reasons("influences", influences, why.influences);
        json_reasons("nearest", nearest, why.nearest);
        json("}\n");
        return DONE;
    }
    print_text(model_name(s, model), 0);
    printf(": %.1f %%", 100.0 * why.probability);
    if (*second) {
        printf("; the best other is ");
        print_text(second, 0);
        printf(" with %.1f %%: margin %+.1f points", 100.0 * why.runner_up_probability, 100.0 * why.margin);
    }
    printf("\nquery: ");
    print_text(name, 0);
    putchar('\n');
    print_reasons(s, "Evaluations that moved it most (influence: points with it, less without it)", influences,
                  why.influences);
    print_reasons(s, "Nearest evaluated queries", nearest, why.nearest);
    return DONE;
}

// ------------------------------------------------------------------------------------------- update, and writing pools

static const char *pool_path(const session *s)
{
    return s->opt.pool ? s->opt.pool : s->opt.router ? s->opt.router : s->opt.net;
}

// Write the pool to --out, or over its own file, with as much of a net as that file holds.
static int save_pool(session *s)
{
    const char *from = pool_path(s), *to = s->opt.out ? s->opt.out : from;
    locus_save_what what = LOCUS_SAVE_POOL;
    if (!is_npy(from)) {
        locus_safetensors st;
        if (locus_safetensors_open(&st, from, &s->err)) return fail_library(s, "--pool", from);
        if (locus_safetensors_find(&st, "decoder.U.weight"))
            what = locus_safetensors_find(&st, "encoder.input.0.weight") && s->info.has_encoder ? LOCUS_SAVE_EVERYTHING
                                                                                                : LOCUS_SAVE_ROUTER;
        locus_safetensors_close(&st);
    }
    if (locus_pool_save(s->pool, to, what, what ? &s->net_file : NULL, &s->err))
        return fail_library(s, s->opt.out ? "--out" : "", to);
    return DONE;
}

// An --out that can be written, and a pool that can be written back.
static int check_out(session *s)
{
    const char *from = pool_path(s);
    if (s->opt.out && !has_ending(s->opt.out, ".safetensors"))
        return misuse(s, "--out: expected a name ending in .safetensors, found %s", s->opt.out);
    if (!s->opt.out && from && is_npy(from))
        return misuse(s, "--pool %s: an array needs an --out POOL.safetensors", from);
    return DONE;
}

static int log_answers(session *s, locus_log *log, const locus_queries *queries, const float *scores)
{
    for (size_t i = 0; i < queries->count; ++i) {
        size_t row = 0;
        if (is_nan(scores[i])) continue;
        if (locus_log_query(log, queries->encodings + i * queries->dim, &row, &s->err) ||
            locus_log_score(log, 0, row, scores[i], &s->err))
            return fail(s, "evaluation %zu: %s", i, s->err.message);
    }
    return DONE;
}

typedef struct refreshed {  // what an update did
    size_t index, answered; // answered: with --complete, how many of the evaluations are real,
    locus_evals completed;  // and all of them as chances, for the memory
    locus_model before, after;
    double moved; // cosine distance
} refreshed;

// Embed the model from the log and put it into the pool.
static int refresh_model(session *s, locus_log *log, refreshed *r)
{
    float *z = (float *)take(s, s->info.z_dim, sizeof *z);
    if (!z) return FAILED;
    if (s->opt.window && locus_log_forget(log, 0, s->opt.window, &s->err))
        return fail(s, "--window: %s", s->err.message);
    r->after.evaluations = locus_log_evaluations(log, 0);
    if (r->after.evaluations == 0) return fail(s, "--scores %s: there is no evaluation in it", s->opt.scores);
    if (locus_log_embed(log, 0, z, s->parallel, &s->err)) return fail(s, "%s", s->err.message);
    locus_evals evals = r->answered ? r->completed : locus_log_evals(log, 0);
    if (r->answered) r->after.evaluations = r->answered;
    r->moved = NAN;
    if (r->index == SIZE_MAX) {
        if (locus_pool_add(s->pool, &r->after, z, &r->index, &s->err))
            return fail(s, "%s: %s", r->after.name, s->err.message);
    } else {
        const float *old = locus_pool_embedding(s->pool, r->index);
        double zz = 0.0, oo = 0.0, zo = 0.0;
        for (size_t i = 0; i < s->info.z_dim; ++i) {
            zz += (double)z[i] * (double)z[i];
            oo += (double)old[i] * (double)old[i];
            zo += (double)z[i] * (double)old[i];
        }
        r->moved = zz > 0.0 && oo > 0.0 ? fmax(0.0, 1.0 - zo / sqrt(zz * oo)) : 1.0;
        if (locus_pool_set(s->pool, r->index, &r->after, z, &s->err))
            return fail(s, "%s: %s", r->after.name, s->err.message);
    }
    if (locus_pool_recall_info(s->pool).landmarks && locus_pool_recall_model(s->pool, r->index, &evals, &s->err))
        return fail(s, "%s: %s", r->after.name, s->err.message);
    return save_pool(s);
}

static int run_update(session *s)
{
    const options *o = &s->opt;
    const locus_array *q = NULL, *more_q = NULL;
    locus_queries queries, more;
    refreshed r;
    locus_log *log = NULL;
    float *scores = NULL, *more_scores = NULL;
    char found[240];
    int status = check_out(s);
    if (status) return status;
    if (o->complete && (o->more_encodings || o->window))
        return misuse(s, "--complete excludes --more-encodings, --more-scores and --window");
    if (!o->more_encodings != !o->more_scores) return misuse(s, "--more-encodings and --more-scores go together");
    if (!o->add && o->cost >= 0.0) return misuse(s, "--cost needs --add");
    if ((status = open_net_and_pool(s, 0)) != DONE) return status;
    if (!s->info.has_encoder) return fail(s, "expected a net with an encoder, found a predictor only: give a --net");
    memset(&r, 0, sizeof r);
    r.index = locus_pool_find(s->pool, o->file);
    if (r.index == SIZE_MAX && !o->add) {
        fail_name(s, "NAME", o->file);
        return fail(s, "--add adds a new model");
    }
    if (r.index != SIZE_MAX && o->add) return fail(s, "--add: the pool has a model \"%s\" already", o->file);
    if (o->add) {
        if (strlen(o->file) >= sizeof r.after.name)
            return fail(s, "expected a name of at most %zu bytes", sizeof r.after.name - 1);
        strcpy(r.after.name, o->file);
        r.after.parameters_b = NAN;
        r.after.cost = o->cost >= 0.0 ? o->cost : (double)NAN;
        r.after.available = 1;
    } else {
        r.before = r.after = *locus_pool_model(s->pool, r.index);
    }
    if ((status = open_encodings(s, &q)) != DONE) return status;
    if (float_queries(s, "--encodings", o->encodings ? o->encodings : "", q, &queries)) return FAILED;
    if (load_row(s, "--scores", o->scores, queries.count, r.index, &scores)) return FAILED;
    if (o->complete) { // what was not asked, as far as it can be told
        float *chances = (float *)take(s, queries.count, sizeof *chances);
        unsigned char *answers = (unsigned char *)take(s, queries.count, 1);
        if (!chances || !answers) return FAILED;
        for (size_t i = 0; i < queries.count; ++i) r.answered += (size_t)!is_nan(scores[i]);
        if (r.answered == 0) return fail(s, "--scores %s: there is no evaluation in it", o->scores);
        r.completed = one_model(&queries, scores);
        if (locus_complete_evaluations(s->pool, &r.completed, chances, answers, &s->err))
            return fail(s, "--complete: %s", s->err.message);
        for (size_t i = 0; i < queries.count; ++i) scores[i] = (float)answers[i];
        r.completed.scores.f32 = chances;
    }
    memset(&more, 0, sizeof more);
    if (o->more_encodings) {
        if (open_array(s, "--more-encodings", o->more_encodings, 2, "[queries, q_dim]", &more_q)) return FAILED;
        if (more_q->shape[1] != s->info.q_dim)
            return fail(s, "--more-encodings %s: expected [queries, %zu], found %s", o->more_encodings, s->info.q_dim,
                        shape_text(more_q->shape, 2, found));
        if (float_queries(s, "--more-encodings", o->more_encodings, more_q, &more) ||
            load_row(s, "--more-scores", o->more_scores, more.count, SIZE_MAX, &more_scores))
            return FAILED;
    }
    if (start_threads(s)) return FAILED;
    if (queries.count + more.count == 0) return fail(s, "--scores %s: there is no evaluation in it", o->scores);
    if (locus_log_create(&log, s->net, queries.count + more.count, 1, &s->err)) return fail(s, "%s", s->err.message);
    int failed = log_answers(s, log, &queries, scores) ||
                 (o->more_encodings && log_answers(s, log, &more, more_scores)) || refresh_model(s, log, &r);
    locus_log_destroy(log);
    if (failed) return FAILED;
    const char *to = o->out ? o->out : pool_path(s);
    if (o->json) {
        json("{'model':%s,'index':%u,'added':%b,'evaluations_before':%u,'evaluations':%u,'moved':%d,'written':%s}\n",
             o->file, r.index, o->add, (size_t)r.before.evaluations, (size_t)r.after.evaluations, r.moved, to);
        return DONE;
    }
    print_text(o->file, 0);
    if (o->add) printf(": added, embedded from %zu evaluations\n", (size_t)r.after.evaluations);
    else
        printf(": embedded from %zu evaluations (before: %zu); it moved by a cosine distance of %.4f\n",
               (size_t)r.after.evaluations, (size_t)r.before.evaluations, r.moved);
    printf("written: %s\n", to);
    return DONE;
}

// ---------------------------------------------------------------------------------------------------------- calibrate

// Mean binary cross-entropy of the rows in use.
static double cross_entropy(const sample *x, const float *logits, const size_t *columns, size_t n)
{
    double sum = 0.0;
    size_t count = 0;
    for (size_t i = 0; i < n; ++i)
        for (size_t m = 0; m < x->models; ++m) {
            unsigned char y = x->scores[m * x->n + columns[i]];
            double l = (double)logits[i * x->models + m];
            if (y == 255) continue;
            sum += (l > 0.0 ? l : 0.0) - l * y + log1p(exp(-fabs(l)));
            ++count;
        }
    return count ? sum / (double)count : NAN;
}

// Learn from the queries of that part (part[i] == wanted; NULL: all).
static int calibrate_on(session *s, const sample *x, const unsigned char *part, int wanted)
{
    locus_evals evals;
    locus_calibrate_opts opts;
    unsigned char *mask = part ? (unsigned char *)take(s, x->models, x->n) : NULL;
    if (part && !mask) return FAILED;
    for (size_t i = 0; part && i < x->models * x->n; ++i) mask[i] = part[i % x->n] == wanted;
    memset(&evals, 0, sizeof evals);
    memset(&opts, 0, sizeof opts);
    evals.queries = x->queries;
    evals.scores.models = x->models;
    evals.scores.u8 = x->scores;
    evals.scores.mask = mask;
    opts.parallel = s->parallel;
    if (locus_pool_calibrate(s->pool, &evals, &opts, &s->err))
        return fail(s, "--scores %s: %s", s->opt.scores, s->err.message);
    return DONE;
}

// Which part each query is of: 0 and 1 of --split's val and test, 2 neither; without --split every other one.
static int calibration_parts(session *s, size_t n, unsigned char **part)
{
    const locus_array *a = NULL;
    size_t count[3] = {0, 0, 0};
    if (!(*part = (unsigned char *)take(s, n, 1))) return FAILED;
    if (s->opt.split) {
        if (open_array(s, "--split", s->opt.split, 1, "one number for each query", &a)) return FAILED;
        if (a->count != n || !is_integer(a))
            return fail(s, "--split %s: expected %zu whole numbers (the rows of --encodings), found %zu of %s",
                        s->opt.split, n, a->count, dtype_name(a->dtype));
    }
    for (size_t i = 0; i < n; ++i) {
        int64_t v = a ? integer_at(a, i) - 1 : (int64_t)(i % 2);
        (*part)[i] = v == 0 || v == 1 ? (unsigned char)v : 2;
        ++count[(*part)[i]];
    }
    if (!count[0] || !count[1])
        return fail(s, "%s%s: expected queries of both val (1) and test (2)", a ? "--split " : "--encodings",
                    a ? s->opt.split : "");
    return DONE;
}

static int run_calibrate(session *s)
{
    enum { BINS = 15 };
    const options *o = &s->opt;
    sample x;
    locus_scores scores;
    locus_bin before[BINS], after[BINS];
    unsigned char *part = NULL;
    double ece[2] = {NAN, NAN}, bce[2];
    size_t measured = 0;
    int status = check_out(s), width;
    if (status) return status;
    if ((status = open_sample(s, SAMPLE_NEEDED, &x)) != DONE) return status;
    width = longest_name(s);
    if (calibration_parts(s, x.n, &part)) return FAILED;
    float *plain = (float *)take(s, x.n, x.models * sizeof *plain),
          *fitted = (float *)take(s, x.n, x.models * sizeof *fitted);
    float *now = (float *)take(s, x.n, x.models * sizeof *now);
    size_t *columns = (size_t *)take(s, x.n, sizeof *columns);
    if (!plain || !fitted || !now || !columns) return FAILED;
    if (predict_rows(s, x.array, NULL, 0, x.n, now)) return FAILED;
    for (size_t i = 0; i < x.n; ++i) // what is measured: test, or without --split each half by what the other taught
        if (part[i] == 1 || (!o->split && part[i] == 0)) {
            memcpy(plain + measured * x.models, now + i * x.models, x.models * sizeof *plain);
            columns[measured++] = i;
        }
    for (int fold = 0; fold < (o->split ? 1 : 2); ++fold) {
        if (calibrate_on(s, &x, part, fold) || predict_rows(s, x.array, NULL, 0, x.n, now)) return FAILED;
        for (size_t i = 0; i < measured; ++i)
            if (part[columns[i]] != fold)
                memcpy(fitted + i * x.models, now + columns[i] * x.models, x.models * sizeof *fitted);
    }
    if (!o->split && calibrate_on(s, &x, NULL, 0)) return FAILED;
    memset(&scores, 0, sizeof scores);
    scores.models = x.models;
    scores.count = x.n;
    scores.u8 = x.scores;
    if (locus_reliability(plain, measured, &scores, columns, SIZE_MAX, before, BINS, &ece[0], &s->err) ||
        locus_reliability(fitted, measured, &scores, columns, SIZE_MAX, after, BINS, &ece[1], &s->err))
        return fail(s, "--scores %s: %s", o->scores, s->err.message);
    bce[0] = cross_entropy(&x, plain, columns, measured);
    bce[1] = cross_entropy(&x, fitted, columns, measured);
    if (save_pool(s)) return FAILED;
    const char *to = o->out ? o->out : pool_path(s);
    const char *how =
        o->split ? "learned on val, measured on test" : "each half of the queries measured by what the other taught";
    if (wants_picture(s)) {
        reliability_picture picture;
        memset(&picture, 0, sizeof picture);
        picture.title = phrase(s, "Reliability of %zu models' predicted chances", x.models);
        picture.note = phrase(s, "%zu queries; %s", measured, how);
        picture.before = before;
        picture.after = after;
        picture.bins = BINS;
        picture.ece_before = ece[0];
        picture.ece_after = ece[1];
        if (save_picture(s, draw_reliability, &picture, picture.title)) return FAILED;
    }
    locus_calibration all = locus_pool_calibration(s->pool, SIZE_MAX);
    if (o->json) {
        json("{'written':%s,'queries':%u,'measured':%s,'ece_before':%d,'ece_after':%d,", to, measured, how, ece[0],
             ece[1]);
        json("'bce_before':%d,'bce_after':%d,'scale':%f,'shift':%f,'models':[", bce[0], bce[1], (double)all.scale,
             (double)all.shift);
        for (size_t m = 0; m < x.models; ++m) {
            locus_calibration c = locus_pool_calibration(s->pool, m);
            json("%c{'model':%s,'scale':%f,'shift':%f}", m > 0, model_name(s, m), (double)c.scale, (double)c.shift);
        }
        for (int k = 0; k < 2; ++k) {
            json(k ? "],'after':[" : "],'before':[");
            for (int b = 0; b < BINS; ++b) {
                const locus_bin *bin = k ? &after[b] : &before[b];
                json("%c{'predicted':%d,'observed':%d,'pairs':%u}", b > 0, bin->predicted, bin->observed, bin->pairs);
            }
        }
        json("]}\n");
        return DONE;
    }
    printf("%zu queries; %s\n\n", measured, how);
    printf("%-12s  %8s  %8s\n", "", "before", "after");
    printf("%-12s  %6.2f %%  %6.2f %%\n", "ECE", 100.0 * ece[0], 100.0 * ece[1]);
    printf("%-12s  %8.4f  %8.4f\n\n", "BCE", bce[0], bce[1]);
    printf("%-12s  %-28s  %-28s\n", "", "before", "after");
    printf("%-12s  %9s %9s %8s  %9s %9s %8s\n", "chance", "predicted", "observed", "answers", "predicted", "observed",
           "answers");
    for (int b = 0; b < BINS; ++b) {
        if (!before[b].pairs && !after[b].pairs) continue;
        printf("%3.0f to %3.0f %%", 100.0 * b / BINS, 100.0 * (b + 1) / BINS);
        for (int k = 0; k < 2; ++k) {
            const locus_bin *bin = k ? &after[b] : &before[b];
            char t[2][48];
            printf("  %9s %9s %8zu", percent(t[0], bin->predicted), percent(t[1], bin->observed), bin->pairs);
        }
        putchar('\n');
    }
    putchar('\n');
    print_text("model", width);
    printf("  %8s  %8s\n", "scale", "shift");
    print_text("all", width);
    printf("  %8.3f  %8.3f\n", (double)all.scale, (double)all.shift);
    for (size_t m = 0; m < x.models && (m < 40 || o->all); ++m) {
        locus_calibration c = locus_pool_calibration(s->pool, m);
        print_text(model_name(s, m), width);
        printf("  %8.3f  %8.3f\n", (double)c.scale, (double)c.shift);
    }
    if (x.models > 40 && !o->all) printf("... and %zu more (--all)\n", x.models - 40);
    printf("\nwritten: %s\n", to);
    mention_pictures(s);
    return DONE;
}

// -------------------------------------------------------------------------------------------------------------- flags

// clang-format off
#define POOL_FLAGS                                                                                               \
    {"--router", "ROUTER.safetensors", TEXT, AT(router), 0, "one file that holds net and pool"},                 \
    {"--net", "NET.safetensors", TEXT, AT(net), 0, "or the net"},                                                \
    {"--pool", "POOL.safetensors|Z.npy", TEXT, AT(pool), 0, "and the models' embeddings"}
#define QUERY_FLAGS(what)                                                                                        \
    {"--encodings", "Q.npy", TEXT, AT(encodings), 0, what " [n, q_dim]"},                                        \
    {"--text", "Q.jsonl", TEXT, AT(text_file), 0, "in their place the queries' words, for a net that reads text"}
#define SCORE_FLAGS(required)                                                                                    \
    {"--scores", "Y.npy", TEXT, AT(scores), required, "[models, n]: u1 with 255 = missing, or float with NaN = missing"}, \
    {"--models", "MODELS.csv", TEXT, AT(models), 0, "names of the rows of --scores: match the pool by name"},    \
    {"--model-rows", "IDX.npy", TEXT, AT(model_rows), 0, "the rows of --scores that belong to the pool's models"}
#define METRIC_FLAG(usual)                                                                                       \
    {"--metric", "cosine|euclidean|disagreement|chances", CHOICE_1, AT(metric), 0, "(default: " usual ")"}
#define PICTURE_FLAGS(what)                                                                                      \
    {"--svg", "FILE.svg", TEXT, AT(svg), 0, what},                                                               \
    {"--html", "FILE.html", TEXT, AT(html), 0, "the same in a page"}
#define JSON_FLAG {"--json", "", SWITCH, AT(json), 0, "as JSON"}
// clang-format on

static const flag compare_flags[] = {
    {"A", "", POSITION, AT(file), 1, "a model of the pool"},
    {"B", "", POSITION, AT(second), 1, "another"},
    POOL_FLAGS,
    QUERY_FLAGS("sample queries"),
    {"--categories", "FILE", TEXT, AT(categories), 0, "category of each query: where the two differ"},
    SCORE_FLAGS(0),
    PICTURE_FLAGS("distance against disagreement of all pairs; these two stand out"),
    JSON_FLAG,
    COMMON_FLAGS};

static const flag neighbours_flags[] = {
    {"NAME", "", POSITION, AT(file), 0, "a model of the pool (without it: the nearest of every model)"},
    POOL_FLAGS,
    QUERY_FLAGS("sample queries"),
    METRIC_FLAG("chances where there are sample queries, else cosine"),
    {"--top", "K", COUNT, AT(top), 0, "how many (default: 10; of every model 3)"},
    {"--available", "NAMES", TEXT, AT(available), 0, "only these models, separated by commas"},
    PICTURE_FLAGS("map of the pool: principal components beside neighbourhoods"),
    JSON_FLAG,
    COMMON_FLAGS};

static const flag cluster_flags[] = {
    POOL_FLAGS,
    QUERY_FLAGS("sample queries"),
    METRIC_FLAG("chances where there are sample queries, else cosine"),
    {"--linkage", "average|complete|single|ward", CHOICE, AT(linkage), 0,
     "distance of two clusters (default: average)"},
    {"--count", "K", COUNT, AT(count), 0,
     "cut the tree into K clusters (default: the root of the number of models, 2 to 8)"},
    {"--height", "H", NUMBER, AT(height), 0, "or at that height"},
    PICTURE_FLAGS("the tree beside the sorted heat map of distances"),
    JSON_FLAG,
    COMMON_FLAGS};

static const flag portfolio_flags[] = {
    POOL_FLAGS,
    QUERY_FLAGS("sample queries"),
    SCORE_FLAGS(0),
    {"--method", "value|centers|medoids|coverage", CHOICE, AT(method), 0,
     "best chances (default), or spread over the embeddings as in the paper"},
    METRIC_FLAG("cosine; of centers, medoids and coverage"),
    {"--count", "K", COUNT, AT(count), 0, "how many models (default: 5, or what budget and lambda allow)"},
    {"--budget", "B", NUMBER, AT(budget), 0, "on the sum of their costs"},
    {"--lambda", "L", NUMBER, AT(lambda), 0, "price of cost: choose the highest value - L * cost"},
    {"--available", "NAMES", TEXT, AT(available), 0, "only these models, separated by commas"},
    PICTURE_FLAGS("value by size, with the bound, k-center and k-medoids"),
    JSON_FLAG,
    COMMON_FLAGS};

static const flag search_flags[] = {
    {"--want", "CATEGORY=ACCURACY,...", TEXT, AT(want), 1,
     "accuracy wished, 0 to 1 or in %, each with :WEIGHT if not 1"},
    POOL_FLAGS,
    QUERY_FLAGS("sample queries"),
    {"--categories", "FILE", TEXT, AT(categories), 0, "category of each query"},
    {"--top", "K", COUNT, AT(top), 0, "how many models (default: 10)"},
    {"--available", "NAMES", TEXT, AT(available), 0, "only these models, separated by commas"},
    {"--synthetic", "", SWITCH, AT(synthetic), 0,
     "the paper's way: encode answers drawn at these rates, take the nearest"},
    JSON_FLAG,
    COMMON_FLAGS};

static const flag duplicates_flags[] = {
    POOL_FLAGS,
    QUERY_FLAGS("the queries of --scores, or a sample"),
    SCORE_FLAGS(0),
    {"--top", "K", COUNT, AT(top), 0, "how many pairs, the most suspicious first (default: 20)"},
    PICTURE_FLAGS("distance against disagreement of all pairs"),
    JSON_FLAG,
    COMMON_FLAGS};

static const flag next_flags[] = {
    POOL_FLAGS,
    QUERY_FLAGS("queries that could be asked"),
    {"--scores", "Y.npy", TEXT, AT(scores), 0, "the new model's answers so far, [n]: u1 with 255 = not asked, or NaN"},
    {"--batch", "B", COUNT, AT(batch), 0, "how many to ask at once (default: 1)"},
    {"--for-routing", "", SWITCH, AT(for_routing), 0, "learn where it would be chosen, not what it knows"},
    JSON_FLAG,
    COMMON_FLAGS};

static const flag explain_flags[] = {
    {"NAME", "", POSITION, AT(file), 0, "a model of the pool (default: the one that is chosen)"},
    POOL_FLAGS,
    QUERY_FLAGS("the evaluated queries"),
    SCORE_FLAGS(1),
    {"--question", "TEXT", TEXT, AT(question), 0, "the query to explain, in words, for a net that reads text"},
    {"--query", "Q.npy", TEXT, AT(query), 0, "or encodings"},
    {"--row", "N", TEXT, AT(row), 0, "and the row of them, from 0 (without --query: of --encodings)"},
    {"--top", "K", COUNT, AT(top), 0, "how many reasons of each kind (default: 8)"},
    JSON_FLAG,
    COMMON_FLAGS};

static const flag update_flags[] = {
    {"NAME", "", POSITION, AT(file), 1, "a model of the pool"},
    POOL_FLAGS,
    QUERY_FLAGS("all queries that it answered so far"),
    SCORE_FLAGS(1),
    {"--more-encodings", "Q.npy", TEXT, AT(more_encodings), 0,
     "queries answered since; a query again replaces its answer"},
    {"--more-scores", "Y.npy", TEXT, AT(more_scores), 0, "the answers to them, [n]"},
    {"--complete", "", SWITCH, AT(complete), 0,
     "the answers were chosen by `locus next`: fill in the others as it reckons them"},
    {"--window", "N", COUNT, AT(window), 0, "forget all but the last N answers"},
    {"--add", "", SWITCH, AT(add), 0, "it is a new model"},
    {"--cost", "C", NUMBER, AT(cost), 0, "with --add: what a query costs (default: unknown)"},
    {"--out", "POOL.safetensors", TEXT, AT(out), 0, "write there (default: over the pool's own file)"},
    JSON_FLAG,
    COMMON_FLAGS};

static const flag calibrate_flags[] = {
    POOL_FLAGS,
    QUERY_FLAGS("held-out queries"),
    SCORE_FLAGS(1),
    {"--split", "S.npy", TEXT, AT(split), 0, "part of each query: learn on 1 (val), measure on 2 (test)"},
    {"--out", "POOL.safetensors", TEXT, AT(out), 0, "write there (default: over the pool's own file)"},
    {"--all", "", SWITCH, AT(all), 0, "list every model, also if there are more than 40"},
    PICTURE_FLAGS("reliability diagram"),
    JSON_FLAG,
    COMMON_FLAGS};

#endif
