// SPDX-License-Identifier: MIT
// What the commands that explore look at: the pool, a sample of queries, distances, neighbours, clusters, and what a
// model might be by resampled evaluations.

#include "locus_tool.h"

static float *profiles_of(const locus_pool *pool, const locus_queries *queries)
{
    float *profiles = take(locus_pool_count(pool), queries->count * sizeof *profiles);
    must_for(locus_profiles(pool, queries, NULL, profiles, &tool.quiet, &tool.err), queries_name());
    return profiles;
}

// The embedding `first` (NULL: none), and below it the pool's (NULL: none).
static locus_points embeddings_of(const locus_pool *pool, const float *first)
{
    const size_t above = first != NULL, count = pool ? locus_pool_count(pool) : 0, dim = tool.info.z_dim;
    float *rows = take(above + count, dim * sizeof *rows);
    if (first) memcpy(rows, first, dim * sizeof *rows);
    for (size_t i = 0; i < count; ++i)
        memcpy(rows + (above + i) * dim, locus_pool_embedding(pool, i), dim * sizeof *rows);
    return (locus_points){.rows = rows, .count = above + count, .dim = dim};
}

sample open_sample(need needed)
{
    sample x = {0};
    const int sampled = opt.encodings || opt.text_file;
    if (needed != SAMPLE_OPTIONAL && !sampled)
        misuse("--encodings Q.npy or --text FILE.jsonl is required: sample queries");
    if (!sampled && (opt.scores || opt.categories))
        misuse("%s needs --encodings Q.npy or --text FILE.jsonl: the queries that it is about",
               opt.scores ? "--scores" : "--categories");
    open_net_and_pool();
    x.models = locus_pool_count(tool.pool);
    if (x.models == 0) fail("the pool is empty");
    x.embeddings = embeddings_of(tool.pool, NULL);
    x.available = opt.available ? read_available() : take(x.models, 1);
    for (size_t i = 0; i < x.models && !opt.available; ++i)
        x.available[i] = locus_pool_model(tool.pool, i)->available != 0;
    if (!sampled) return x;
    x.queries = open_queries();
    x.n = x.queries.count;
    if (x.n == 0) fail("%s: there is no query in it", queries_name());
    if (opt.categories) x.category = load_categories(x.n);
    if (needed != SAMPLE_UNSCORED) x.scores = load_answers(x.n);
    x.profiles = (locus_points){.rows = profiles_of(tool.pool, &x.queries), .count = x.models, .dim = x.n};
    return x;
}

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

// --------------------------------------------------------------------------------------------- how models are compared

// By default chances where there is a sample, else cosine: among real models the nearest by their predicted chances
// agree more often than the nearest by embedding, and far more often than those of least expected disagreement, which
// takes answers as independent and so prefers models that are sure of themselves.
view make_view(const sample *x, by which)
{
    static const struct {
        const char *name, *words;
        locus_metric metric;
    } ways[] = {{"cosine", "cosine distance of the embeddings", LOCUS_COSINE},
                {"euclidean", "Euclidean distance of the embeddings", LOCUS_EUCLIDEAN},
                {"disagreement", "expected share of unlike answers", LOCUS_DISAGREEMENT},
                {"chances", "root mean square difference of the predicted chances", LOCUS_RMS}};
    view v;
    if (which == BY_USUAL) which = x->n ? BY_CHANCES : BY_COSINE;
    v = (view){.metric = ways[which].metric, .name = ways[which].name, .words = ways[which].words};
    v.note = v.words;
    v.points = x->embeddings;
    if (which == BY_COSINE || which == BY_EUCLIDEAN) return v;
    if (!x->n) misuse("--metric %s needs --encodings Q.npy or --text FILE.jsonl: sample queries", v.name);
    v.note = phrase("%s, %zu queries", v.words, x->n);
    v.points = x->profiles;
    return v;
}

view choose_view(const sample *x, by usual) { return make_view(x, opt.metric ? (by)(opt.metric - 1) : usual); }

double *category_means(const sample *x)
{
    const size_t count = x->category.count;
    double *means = take(x->models, count * sizeof *means);
    for (size_t m = 0; m < x->models; ++m)
        for (size_t c = 0; c < count; ++c) {
            double sum = 0.0, queries = 0.0;
            for (size_t i = 0; i < x->n; ++i)
                if (x->category.of[i] == (int32_t)c) sum += (double)x->profiles.rows[m * x->n + i], queries += 1.0;
            means[m * count + c] = queries > 0.0 ? sum / queries : (double)NAN;
        }
    return means;
}

float *all_distances(const view *v)
{
    const size_t n = v->points.count;
    if (n > MOST_PAIRED)
        fail("all pairs of models are looked at for up to %d models; the pool has %zu", MOST_PAIRED, n);
    float *distances = take(n, n * sizeof *distances);
    progress_begin("distances");
    must(locus_distances(&v->points, NULL, v->metric, distances, &tool.run, &tool.err));
    progress_end();
    return distances;
}

locus_neighbour *find_neighbours(const view *v, const locus_points *of, size_t k, const unsigned char *available)
{
    locus_neighbour *nearest = take(of ? of->count : v->points.count, k * sizeof *nearest);
    progress_begin("neighbours");
    must(locus_neighbours(&v->points, of, v->metric, available, k, nearest, &tool.run, &tool.err));
    progress_end();
    return nearest;
}

double cosine_distance(const float *a, const float *b, size_t n)
{
    double aa = 0.0, bb = 0.0, ab = 0.0;
    for (size_t i = 0; i < n; ++i) {
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
        ab += (double)a[i] * (double)b[i];
    }
    return aa > 0.0 && bb > 0.0 ? 1.0 - ab / sqrt(aa * bb) : 1.0;
}

// ------------------------------------------------------------------------------------------------------------ clusters

size_t usual_clusters(size_t models)
{
    size_t k = (size_t)(sqrt((double)models) + 0.5);
    return k < 2 ? 2 : k > 8 ? 8 : k;
}

// order[n] <- the rows as the leaves of the dendrogram, from left to right: of each merge the side that joined at lower
// height comes first (then the one with the lower row). No branches cross.
static void order_leaves(const locus_merge *merges, size_t n, size_t *order)
{
    size_t *lowest = take(n, sizeof *lowest), *start = take(n, sizeof *start); // of cluster n + i: its lowest row,
    for (size_t i = 0; i + 1 < n; ++i) {                                       // and where it stands
        const size_t a = merges[i].a, b = merges[i].b;
        const size_t low_a = a < n ? a : lowest[a - n], low_b = b < n ? b : lowest[b - n];
        lowest[i] = low_a < low_b ? low_a : low_b;
    }
    for (size_t i = n - 1; i-- > 0;) {
        size_t side[2] = {merges[i].a, merges[i].b}, at = start[i];
        const double a = side[0] < n ? -1.0 : merges[side[0] - n].height;
        const double b = side[1] < n ? -1.0 : merges[side[1] - n].height;
        const size_t low_a = side[0] < n ? side[0] : lowest[side[0] - n];
        if (a > b || (!(a < b) && low_a > lowest[i])) side[0] = merges[i].b, side[1] = merges[i].a;
        for (int k = 0; k < 2; ++k) {
            if (side[k] < n) order[at++] = side[k];
            else start[side[k] - n] = at, at += merges[side[k] - n].size;
        }
    }
}

// Numbered as they stand in the order.
static void number_clusters(clustering *c, size_t n)
{
    size_t *number = take(n, sizeof *number), numbered = 0;
    for (size_t i = 0; i < n; ++i)
        if (!number[c->label[c->order[i]]]) number[c->label[c->order[i]]] = ++numbered;
    for (size_t i = 0; i < n; ++i) c->label[i] = number[c->label[i]] - 1;
}

// "Yi-34B and 4 more": each by its medoid, for legends.
static void name_clusters(clustering *c, size_t n, const float *distances)
{
    double *best = take(c->count, sizeof *best);
    c->medoids = take(c->count, sizeof *c->medoids);
    c->sizes = take(c->count, sizeof *c->sizes);
    c->names = take(c->count, sizeof *c->names);
    for (size_t i = 0; i < n; ++i) {
        double sum = 0.0;
        size_t g = c->label[i];
        for (size_t j = 0; distances && j < n; ++j)
            if (c->label[j] == g) sum += (double)distances[i * n + j];
        if (c->sizes[g]++ == 0 || sum < best[g]) best[g] = sum, c->medoids[g] = i;
    }
    for (size_t g = 0; g < c->count; ++g) {
        c->names[g] = model_name(c->medoids[g]);
        if (c->sizes[g] > 1) c->names[g] = phrase("%s and %zu more", c->names[g], c->sizes[g] - 1);
    }
}

clustering find_clusters(const view *v, locus_linkage linkage, size_t count, double height, const float *distances)
{
    const size_t n = v->points.count;
    clustering c = {
        .merges = take(n, sizeof *c.merges), .order = take(n, sizeof *c.order), .label = take(n, sizeof *c.label)};
    if (count > n) count = n;
    progress_begin("cluster");
    must(locus_cluster(&v->points, v->metric, linkage, c.merges, &tool.run, &tool.err));
    progress_end();
    must(locus_cluster_cut(c.merges, n, height >= 0.0 ? 0 : count, height, c.label, &c.count, &tool.quiet, &tool.err));
    order_leaves(c.merges, n, c.order);
    number_clusters(&c, n);
    // a cut half way between the last merge that is done and the first that is not
    double below = n > c.count ? c.merges[n - c.count - 1].height : 0.0;
    c.cut = height >= 0.0 ? height : c.count > 1 ? 0.5 * (below + c.merges[n - c.count].height) : below;
    name_clusters(&c, n, distances);
    return c;
}

// ------------------------------------------------------------------------------------------ what a model might be

locus_pool *resample_model(const locus_evals *evals, size_t model, const locus_resample_opts *opts,
                           const locus_run *run)
{
    locus_pool_destroy(tool.redrawn);
    tool.redrawn = NULL;
    if (locus_pool_resample(&tool.redrawn, tool.pool, evals, opts, run, &tool.err))
        fail("--scores %s: %s: %s", opt.scores, model_name(model), tool.err.message);
    return tool.redrawn;
}

locus_points load_versions(const sample *x, size_t model)
{
    size_t answers = 0;
    const locus_pool *redrawn = NULL;
    for (size_t i = 0; x->scores && i < x->n; ++i) answers += x->scores[model * x->n + i] != 255;
    if (tool.info.has_encoder && answers >= 2) {
        const locus_evals evals = {.queries = x->queries, .scores = {.models = 1, .u8 = x->scores + model * x->n}};
        const locus_resample_opts opts = {.seed = 1 + model};
        progress_begin("resample");
        redrawn = resample_model(&evals, model, &opts, &tool.run);
        progress_end();
    }
    return embeddings_of(redrawn, locus_pool_embedding(tool.pool, model));
}

// --------------------------------------------------------------------------------------------------------------- pairs

size_t unlike(const sample *x, size_t a, size_t b, size_t *shared)
{
    const unsigned char *y = x->scores + a * x->n, *z = x->scores + b * x->n;
    size_t different = 0;
    *shared = 0;
    for (size_t i = 0; i < x->n; ++i) {
        if (y[i] == 255 || z[i] == 255) continue;
        ++*shared;
        different += y[i] != z[i];
    }
    return different;
}
