// SPDX-License-Identifier: MIT
// What the commands that explore look at: a pool, a sample of queries, distances, neighbours, clusters.

#include "locus_tool.h"

// profiles[models, n] <- of the models of a pool.
static int profiles_of(session *s, const locus_pool *pool, const locus_queries *queries, float **profiles)
{
    locus_run run = run_of(s);
    run.progress = NULL;
    *profiles = (float *)take(s, locus_pool_count(pool), queries->count * sizeof **profiles);
    if (!*profiles) return FAILED;
    if (locus_profiles(pool, queries, NULL, *profiles, &run, &s->err))
        return fail(s, "%s: %s", queries_name(s), s->err.message);
    return DONE;
}

// The pool's embeddings side by side.
static int embeddings_of(session *s, const locus_pool *pool, locus_points *out)
{
    const size_t count = locus_pool_count(pool), dim = s->info.z_dim;
    float *rows = (float *)take(s, count, dim * sizeof *rows);
    if (!rows) return FAILED;
    for (size_t i = 0; i < count; ++i) memcpy(rows + i * dim, locus_pool_embedding(pool, i), dim * sizeof *rows);
    memset(out, 0, sizeof *out);
    out->rows = rows;
    out->count = count;
    out->dim = dim;
    return DONE;
}

// Net, pool, threads, and the sample.
int open_sample(session *s, need needed, sample *out)
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
    if ((status = open_net_and_pool(s)) != DONE) return status;
    out->models = locus_pool_count(s->pool);
    if (out->models == 0) return fail(s, "the pool is empty");
    out->available = (unsigned char *)take(s, out->models, 1);
    if (!out->available || embeddings_of(s, s->pool, &out->embeddings)) return FAILED;
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
double set_value(const sample *x, const size_t *picks, size_t count, double *measured)
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

// --metric. By default chances where there is a sample, else cosine: among real models the nearest by their predicted
// chances agree more often than the nearest by embedding, and far more often than those of least expected disagreement,
// which takes answers as independent and so prefers models that are sure of themselves.
int choose_view(session *s, const sample *x, int usual, view *v)
{
    static const char *const names[] = {"cosine", "euclidean", "disagreement", "chances"};
    static const char *const words[] = {"cosine distance of the embeddings", "Euclidean distance of the embeddings",
                                        "expected share of unlike answers",
                                        "root mean square difference of the predicted chances"};
    const int which = s->opt.metric ? s->opt.metric - 1 : usual >= 0 ? usual : x->n ? 3 : 0;
    memset(v, 0, sizeof *v);
    v->name = names[which];
    v->words = v->note = words[which];
    v->metric = (locus_metric)which;
    v->points = x->embeddings;
    if (which < 2) return DONE;
    if (!x->n)
        return misuse(s, "--metric %s needs --encodings Q.npy or --text FILE.jsonl: sample queries", names[which]);
    v->note = phrase(s, "%s, %zu queries", words[which], x->n);
    v->points = x->profiles;
    return DONE;
}

locus_run run_of(session *s)
{
    locus_run run;
    memset(&run, 0, sizeof run);
    run.parallel = s->parallel;
    run.isa = (locus_isa)s->opt.isa;
    run.progress = progress;
    run.user = s;
    return run;
}

// [models, categories] means of the profiles; NaN for a category without queries.
double *category_means(session *s, const sample *x)
{
    double *means = (double *)take(s, x->models, x->categories * sizeof *means);
    for (size_t m = 0; means && m < x->models; ++m)
        for (size_t c = 0; c < x->categories; ++c) {
            double sum = 0.0, count = 0.0;
            for (size_t i = 0; i < x->n; ++i)
                if (x->category[i] == (int32_t)c) sum += (double)x->profiles.rows[m * x->n + i], count += 1.0;
            means[m * x->categories + c] = count > 0.0 ? sum / count : NAN;
        }
    return means;
}

// All distances, [models, models].
int all_distances(session *s, const view *v, float **out)
{
    const locus_run run = run_of(s);
    const locus_points *points = &v->points;
    if (points->count > MOST_PAIRED)
        return fail(s, "all pairs of models are looked at for up to %d models; the pool has %zu", MOST_PAIRED,
                    points->count);
    *out = (float *)take(s, points->count, points->count * sizeof **out);
    if (!*out) return FAILED;
    progress_begin(s, "distances");
    int failed = locus_distances(points, NULL, v->metric, *out, &run, &s->err) != LOCUS_OK;
    progress_end(s);
    return failed ? fail(s, "%s", s->err.message) : DONE;
}

// nearest[of or models, k] <- neighbours.
int find_neighbours(session *s, const view *v, const locus_points *of, size_t k, const unsigned char *available,
                    locus_neighbour **out)
{
    const locus_run run = run_of(s);
    const locus_points *points = &v->points;
    *out = (locus_neighbour *)take(s, of ? of->count : points->count, k * sizeof **out);
    if (!*out) return FAILED;
    progress_begin(s, "neighbours");
    int failed = locus_neighbours(points, of, v->metric, available, k, *out, &run, &s->err) != LOCUS_OK;
    progress_end(s);
    return failed ? fail(s, "%s", s->err.message) : DONE;
}

// order[n] <- the rows as the leaves of the dendrogram, from left to right: of each merge the side that joined at lower
// height comes first (then the one with the lower row). No branches cross.
static int order_leaves(session *s, const locus_merge *merges, size_t n, size_t *order)
{
    size_t *lowest = (size_t *)take(s, n, sizeof *lowest), *start = (size_t *)take(s, n, sizeof *start);
    if (!lowest || !start) return FAILED; // of cluster n + i: its lowest row, and where it stands
    for (size_t i = 0; i + 1 < n; ++i) {
        const size_t a = merges[i].a, b = merges[i].b;
        const size_t low_a = a < n ? a : lowest[a - n], low_b = b < n ? b : lowest[b - n];
        lowest[i] = low_a < low_b ? low_a : low_b;
    }
    order[0] = start[n - 1] = 0;
    for (size_t i = n - 1; i-- > 0;) {
        size_t side[2] = {merges[i].a, merges[i].b}, at = i + 2 == n ? 0 : start[i];
        const double a = side[0] < n ? -1.0 : merges[side[0] - n].height;
        const double b = side[1] < n ? -1.0 : merges[side[1] - n].height;
        const size_t low_a = side[0] < n ? side[0] : lowest[side[0] - n];
        if (a > b || (!(a < b) && low_a > lowest[i])) side[0] = merges[i].b, side[1] = merges[i].a;
        for (int k = 0; k < 2; ++k) {
            if (side[k] < n) order[at++] = side[k];
            else start[side[k] - n] = at, at += merges[side[k] - n].size;
        }
    }
    return DONE;
}

// The tree, cut into `count` clusters, or at `height` where that is not negative.
int find_clusters(session *s, const view *v, locus_linkage linkage, size_t count, double height, clustering *out)
{
    const locus_run run = run_of(s);
    const locus_points *points = &v->points;
    const size_t n = points->count;
    memset(out, 0, sizeof *out);
    out->merges = (locus_merge *)take(s, n, sizeof *out->merges);
    out->order = (size_t *)take(s, n, sizeof *out->order);
    out->label = (size_t *)take(s, n, sizeof *out->label);
    if (!out->merges || !out->order || !out->label) return FAILED;
    progress_begin(s, "cluster");
    int failed = locus_cluster(points, v->metric, linkage, out->merges, &run, &s->err) != LOCUS_OK;
    progress_end(s);
    if (count > n) count = n;
    if (failed ||
        locus_cluster_cut(out->merges, n, height >= 0.0 ? 0 : count, height, out->label, &out->clusters, NULL, &s->err))
        return fail(s, "%s", s->err.message);
    if (order_leaves(s, out->merges, n, out->order)) return FAILED;
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
size_t usual_clusters(size_t models)
{
    size_t k = (size_t)(sqrt((double)models) + 0.5);
    return k < 2 ? 2 : k > 8 ? 8 : k;
}

// "Yi-34B and 4 more": a cluster by its medoid, for legends.
int name_clusters(session *s, const clustering *c, size_t n, const float *distances, size_t **medoids, size_t **sizes,
                  const char ***names)
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

const char **all_names(session *s)
{
    size_t m = locus_pool_count(s->pool);
    const char **names = (const char **)take(s, m, sizeof *names);
    for (size_t i = 0; names && i < m; ++i) names[i] = model_name(s, i);
    return names;
}

size_t unlike(const unsigned char *a, const unsigned char *b, size_t n, size_t *shared)
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

int collect_pairs(session *s, const sample *x, const float *distances, const float *expected, pairs *out)
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

// A pool of what a model might be, given only its evaluations among --scores: *out stays NULL where that cannot be
// said.
static int resample_model(session *s, const sample *x, size_t model, locus_pool **out)
{
    const locus_run run = run_of(s);
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
    progress_begin(s, "resample");
    int failed = locus_pool_resample(out, s->pool, &evals, &opts, &run, &s->err) != LOCUS_OK;
    progress_end(s);
    return failed ? fail(s, "--scores %s: %s: %s", s->opt.scores, model_name(s, model), s->err.message) : DONE;
}

// Row 0 is the model's embedding; below it those of its resampled versions.
int load_versions(session *s, const sample *x, size_t model, locus_points *out)
{
    const size_t dim = x->embeddings.dim;
    locus_pool *resampled = NULL;
    locus_points more;
    memset(&more, 0, sizeof more);
    if (resample_model(s, x, model, &resampled)) return FAILED;
    int status = resampled ? embeddings_of(s, resampled, &more) : DONE;
    locus_pool_destroy(resampled);
    float *rows = status ? NULL : (float *)take(s, 1 + more.count, dim * sizeof *rows);
    if (!rows) return FAILED;
    memcpy(rows, x->embeddings.rows + model * dim, dim * sizeof *rows);
    if (more.count) memcpy(rows + dim, more.rows, more.count * dim * sizeof *rows);
    *out = more;
    out->rows = rows;
    out->count = 1 + more.count;
    out->dim = dim;
    return DONE;
}
