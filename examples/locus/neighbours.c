// SPDX-License-Identifier: MIT
// locus neighbours, cluster, search: models that are alike, or as wished.

#include "pictures.h"

// ---------------------------------------------------------------------------------------------------------- neighbours

// Map of the pool in this view; centre and its neighbours stand out (SIZE_MAX: none).
static void save_map(const sample *x, const view *v, size_t centre, const locus_neighbour *nearest, size_t k)
{
    const size_t m = x->models;
    const float *distances = all_distances(v);
    const clustering c = find_clusters(v, LOCUS_AVERAGE, usual_clusters(m), -1.0, distances);
    float *principal = take(m, 2 * sizeof *principal), *map = take(m, 2 * sizeof *map);
    map_picture p = {.title = centre == SIZE_MAX ? phrase("Map of %zu models", m)
                                                 : phrase("Neighbours of %s among %zu models", model_name(centre), m),
                     .note = v->note,
                     .n = m,
                     .names = all_names(),
                     .principal = principal,
                     .map = map,
                     .clusters = &c,
                     .centre = centre,
                     .nearby = nearest,
                     .nearby_count = k};
    principal_components(&v->points, principal, p.share);
    layout_map(distances, m, map);
    save_picture(draw_map, &p, p.title);
}

// The nearest of each of `count` models, from the first on.
static void show_nearest(const locus_neighbour *nearest, size_t first, size_t count, size_t top)
{
    const int width = longest_name();
    for (size_t i = 0; i < count; ++i) {
        if (opt.json) json("\n{'model':%s,'neighbours':[", model_name(first + i));
        else say("%-*t", width, model_name(first + i));
        for (size_t k = 0; k < top && nearest[i * top + k].index != SIZE_MAX; ++k) {
            const locus_neighbour n = nearest[i * top + k];
            const double d = (double)n.distance;
            if (opt.json) json("{'model':%s,'index':%u,'distance':%f}", model_name(n.index), n.index, d);
            else say("  %.4f %-*t", d, k + 1 < top ? width : 0, model_name(n.index));
        }
        if (opt.json) json("]}");
        else say("\n");
    }
}

static void print_neighbours(const sample *x, const view *v, const locus_neighbour *nearest, size_t top)
{
    const int width = longest_name();
    say("%4s  %-*t  %12s%s  %10s  %10s\n", "rank", width, "model", v->name, x->n ? "  accuracy" : "", "params (B)",
        "cost");
    for (size_t k = 0; k < top && nearest[k].index != SIZE_MAX; ++k) {
        const locus_model *m = locus_pool_model(tool.pool, nearest[k].index);
        say(v->metric == LOCUS_DISAGREEMENT ? "%4z  %-*t  %12p" : "%4z  %-*t  %12.4f", k + 1, width, m->name,
            (double)nearest[k].distance);
        if (x->n) say("  %8p", set_value(x, &nearest[k].index, 1, NULL));
        say("  %10g  %10.6g\n", (double)m->parameters_b, m->cost);
    }
}

static void run_neighbours(void)
{
    const sample x = open_sample(SAMPLE_OPTIONAL);
    const view v = choose_view(&x, BY_USUAL);
    const size_t target = opt.file ? find_model("NAME", opt.file) : SIZE_MAX;
    const int one = target != SIZE_MAX;
    size_t top = opt.top ? opt.top : one ? 10 : 3;
    locus_points of = v.points;
    if (top > x.models) top = x.models;
    if (one) { // it is no neighbour of its own
        x.available[target] = 0;
        of.rows += target * (of.stride ? of.stride : of.dim);
        of.count = 1;
    }
    const locus_neighbour *nearest = find_neighbours(&v, one ? &of : NULL, top, x.available);
    if (wants_picture()) save_map(&x, &v, target, nearest, one ? top : 0);
    if (opt.json) {
        json("{'metric':%s,'queries':%u,'models':[", v.name, x.n);
        show_nearest(nearest, one ? target : 0, one ? 1 : x.models, top);
        json("]}\n");
        return;
    }
    if (one) print_neighbours(&x, &v, nearest, top);
    else {
        say("The nearest of each model: %s\n\n", v.words);
        show_nearest(nearest, 0, x.models, top);
    }
    mention_pictures();
}

static const flag neighbours_flags[] = {
    {"NAME", "", POSITION, AT(file), 0, "a model of the pool (without it: the nearest of every model)"},
    POOL_FLAGS,
    QUERY_FLAGS("sample queries [n, q_dim]"),
    METRIC_FLAG("chances where there are sample queries, else cosine"),
    {"--top", "K", COUNT, AT(top), 0, "how many (default: 10; of every model 3)"},
    AVAILABLE_FLAG,
    PICTURE_FLAGS("map of the pool: principal components beside neighbourhoods"),
    JSON_FLAG,
    COMMON_FLAGS};

const command neighbours_command = {
    "neighbours", "Find the models that are most alike, to stand in for one another.", neighbours_flags, run_neighbours,
    "Models that are not available are no neighbours. Metrics: cosine and euclidean of the embeddings; chances, the "
    "root\n"
    "mean square difference of the predicted chances on the sample queries, which finds the best stand-ins;\n"
    "disagreement, the expected share of unlike answers if answers were independent.\n\n"
    "Example:\n  locus neighbours Yi-34B --router router.safetensors --encodings q.npy --svg map.svg\n"};

// ------------------------------------------------------------------------------------------------------------- cluster

static void save_tree(const sample *x, const view *v, const char *linkage, const clustering *c, const float *distances)
{
    enum { MOST_CELLS = 300 };
    const size_t m = x->models, cells = m < MOST_CELLS ? m : MOST_CELLS;
    float *means = take(cells, cells * sizeof *means);
    for (size_t i = 0; i < cells; ++i)
        for (size_t j = 0; j < cells; ++j) {
            double sum = 0.0, count = 0.0;
            for (size_t p = i * m / cells; p < (i + 1) * m / cells; ++p)
                for (size_t q = j * m / cells; q < (j + 1) * m / cells; ++q)
                    sum += (double)distances[c->order[p] * m + c->order[q]], count += 1.0;
            means[i * cells + j] = (float)(sum / count);
        }
    const tree_picture p = {.title = phrase("Clusters of %zu models", m),
                            .note = phrase("%s linkage, %s", linkage, v->note),
                            .metric = v->words,
                            .n = m,
                            .names = all_names(),
                            .clusters = c,
                            .cells = means,
                            .cell_count = cells};
    save_picture(draw_tree, &p, p.title);
}

static void json_clusters(const sample *x, const clustering *c)
{
    json("'cut':%d,'clusters':[", c->cut);
    for (size_t g = 0; g < c->count; ++g) {
        json("\n{'cluster':%u,'medoid':%s,'models':[", g, model_name(c->medoids[g]));
        for (size_t i = 0; i < x->models; ++i)
            if (c->label[c->order[i]] == g) json("%s", model_name(c->order[i]));
        json("]}");
    }
    json("],\n'order':[");
    for (size_t i = 0; i < x->models; ++i) json("%u", c->order[i]);
    json("],\n'merges':[");
    for (size_t i = 0; i + 1 < x->models; ++i)
        json("[%u,%u,%d,%u]", c->merges[i].a, c->merges[i].b, c->merges[i].height, c->merges[i].size);
    json("]}\n");
}

// A cluster's leaves stand side by side.
static void print_clusters(const sample *x, const clustering *c, const float *distances)
{
    const int width = longest_name();
    for (size_t i = 0, last = SIZE_MAX; i < x->models; ++i) {
        const size_t model = c->order[i], g = c->label[model], size = c->sizes[g];
        double sum = 0.0;
        if (g != last) {
            say("\ncluster %z, %z model%s", g + 1, size, size == 1 ? "" : "s");
            if (distances && size > 2) say(", around %t", model_name(c->medoids[g]));
            say("\n");
        }
        last = g;
        for (size_t j = 0; distances && j < x->models; ++j)
            if (c->label[j] == g) sum += (double)distances[model * x->models + j];
        if (distances && size > 1)
            say("  %-*t  %.4f from the others\n", width, model_name(model), sum / (double)(size - 1));
        else say("  %t\n", model_name(model));
    }
}

static void run_cluster(void)
{
    static const char *const linkages[] = {"average", "complete", "single", "ward"};
    const locus_linkage linkage = (locus_linkage)opt.linkage;
    const int ward = linkage == LOCUS_WARD;
    if (opt.count && opt.height >= 0.0) misuse("--count and --height exclude each other");
    if (ward && (opt.metric == 1 || opt.metric == 3)) misuse("--linkage ward needs --metric euclidean or chances");
    const sample x = open_sample(SAMPLE_OPTIONAL);
    const view v = choose_view(&x, ward && !x.n ? BY_EUCLIDEAN : BY_USUAL);
    if (opt.count > x.models) fail("--count %zu: the pool has %zu models", opt.count, x.models);
    const float *distances = x.models <= MOST_PAIRED ? all_distances(&v) : NULL;
    const clustering c =
        find_clusters(&v, linkage, opt.count ? opt.count : usual_clusters(x.models), opt.height, distances);
    if (wants_picture() && !distances)
        fail("--svg, --html: a heat map shows up to %d models, the pool has %zu", MOST_PAIRED, x.models);
    if (wants_picture()) save_tree(&x, &v, linkages[linkage], &c, distances);
    if (opt.json) {
        json("{'metric':%s,'linkage':%s,'queries':%u", v.name, linkages[linkage], x.n);
        json_clusters(&x, &c);
        return;
    }
    say("%z clusters of %z models: %s linkage, %s\n", c.count, x.models, linkages[linkage], v.words);
    print_clusters(&x, &c, distances);
    mention_pictures();
}

static const flag cluster_flags[] = {
    POOL_FLAGS,
    QUERY_FLAGS("sample queries [n, q_dim]"),
    METRIC_FLAG("chances where there are sample queries, else cosine"),
    {"--linkage", "average|complete|single|ward", CHOICE, AT(linkage), 0,
     "distance of two clusters (default: average)"},
    {"--count", "K", COUNT, AT(count), 0,
     "cut the tree into K clusters (default: the root of the number of models, 2 to 8)"},
    {"--height", "H", NUMBER, AT(height), 0, "or at that height"},
    PICTURE_FLAGS("the tree beside the sorted heat map of distances"),
    JSON_FLAG,
    COMMON_FLAGS};

const command cluster_command = {
    "cluster", "Group the models of a pool.", cluster_flags, run_cluster,
    "Example:\n  locus cluster --router router.safetensors --encodings q.npy --count 6 --svg clusters.svg\n"};

// -------------------------------------------------------------------------------------------------------------- search

typedef struct hope { // of accuracy in a category; weight 0: does not matter
    double accuracy, weight;
} hope;

typedef struct match {
    size_t model;    // SIZE_MAX: no more are found
    double distance; // root of the weighted mean squared gap to the wish
} match;

static int by_match(const void *a, const void *b)
{
    const match *x = a, *y = b;
    if (x->distance < y->distance || x->distance > y->distance) return x->distance < y->distance ? -1 : 1;
    return (x->model > y->model) - (x->model < y->model);
}

// found[models] <- the available models, the one that comes nearest first. Categories without queries (NaN) are passed
// over.
static void match_wishes(const sample *x, const double *means, const hope *wish, match *found)
{
    const size_t n = x->category.count;
    double scale = 0.0; // so that no sum of weights overflows
    for (size_t c = 0; c < n; ++c) scale = fmax(scale, wish[c].weight);
    for (size_t m = 0; m < x->models; ++m) {
        double sum = 0.0, weight = 0.0;
        for (size_t c = 0; c < n; ++c) {
            const double w = wish[c].weight / scale, gap = means[m * n + c] - wish[c].accuracy;
            if (!(w > 0.0) || is_nan(gap)) continue;
            sum += w * gap * gap;
            weight += w;
        }
        const int in = x->available[m] && weight > 0.0;
        found[m] = (match){.model = in ? m : SIZE_MAX, .distance = in ? sqrt(sum / weight) : DBL_MAX};
    }
    qsort(found, x->models, sizeof *found, by_match);
}

static uint64_t mix(uint64_t h)
{
    h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93u;
    h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93u;
    return h ^ (h >> 32);
}

// scores[n] <- 0/1 drawn at the wished rates, 255 where one does not care: each category has its rate as exactly as can
// be. Of the `left` still to come, `right` are to be 1, each choice equally likely (Knuth's algorithm S).
static void imagine(const sample *x, const hope *wish, unsigned char *scores)
{
    memset(scores, 255, x->n);
    for (size_t c = 0; c < x->category.count; ++c) {
        size_t left = 0;
        if (!(wish[c].weight > 0.0)) continue;
        for (size_t i = 0; i < x->n; ++i) left += x->category.of[i] == (int32_t)c;
        size_t right = (size_t)(wish[c].accuracy * (double)left + 0.5);
        for (size_t i = 0; i < x->n; ++i) {
            if (x->category.of[i] != (int32_t)c) continue;
            const double draw = (double)(mix(mix(1 + 0x9e3779b97f4a7c15u) + i) >> 11) / 9007199254740992.0;
            scores[i] = draw * (double)left < (double)right;
            right -= scores[i];
            --left;
        }
    }
}

// "math=0.8", "law=50%:2": a wish, by which category *entry is cut down to.
static hope read_wish(char *entry)
{
    hope w = {.weight = 1.0};
    char *value = strrchr(entry, '='), *weight;
    if (!value || value == entry) misuse("--want: expected CATEGORY=ACCURACY[:WEIGHT], found \"%s\"", entry);
    *value++ = '\0';
    if ((weight = strchr(value, ':')) != NULL) *weight++ = '\0';
    const size_t digits = strlen(value);
    const int is_percent = digits > 1 && value[digits - 1] == '%';
    if (is_percent) value[digits - 1] = '\0';
    const int good = read_number(value, &w.accuracy);
    if (is_percent) w.accuracy /= 100.0;
    if (!good || w.accuracy < 0.0 || w.accuracy > 1.0)
        misuse("--want: %s: expected an accuracy from 0 to 1 (or 0%% to 100%%), found \"%s%s\"", entry, value,
               is_percent ? "%" : "");
    if (weight && (!read_number(weight, &w.weight) || w.weight < 0.0))
        misuse("--want: %s: expected a weight from 0, found \"%s\"", entry, weight);
    return w;
}

// --want "math=0.8,law=50%:2": a wish for each category.
static hope *read_wishes(const categories *category)
{
    hope *wish = take(category->count, sizeof *wish);
    for (const char *rest = opt.want, *next; rest; rest = next) {
        const size_t length = strcspn(rest, ",");
        char *entry = take(length + 1, 1);
        size_t c = 0;
        next = rest[length] ? rest + length + 1 : NULL;
        memcpy(entry, rest, length);
        const hope w = read_wish(entry);
        guess meant = {.word = entry};
        for (; c < category->count && strcmp(category->names[c], entry) != 0; ++c) consider(&meant, category->names[c]);
        if (c == category->count) fail("--want: --categories has no \"%s\"%s", entry, did_you_mean(&meant));
        if (wish[c].weight > 0.0) misuse("--want: %s is wished twice", entry);
        wish[c] = w;
    }
    return wish;
}

// The paper's way: answers drawn at the wished rates, encoded, and the models nearest to that.
static void search_synthetic(const sample *x, const hope *wish, size_t k, match *out)
{
    unsigned char *scores = take(x->n, 1);
    float *z = take(tool.info.z_dim, sizeof *z);
    need_encoder("--synthetic: ");
    imagine(x, wish, scores);
    const locus_evals evals = {.queries = x->queries, .scores = {.models = 1, .u8 = scores}};
    must_for(locus_encode(tool.net, &evals, z, LOCUS_ENCODE_AUTO, &tool.quiet, &tool.err), "--want");
    const locus_points of = {.rows = z, .count = 1, .dim = tool.info.z_dim};
    const view v = make_view(x, BY_COSINE);
    const locus_neighbour *nearest = find_neighbours(&v, &of, k, x->available);
    for (size_t i = 0; i < k; ++i) out[i] = (match){.model = nearest[i].index, .distance = (double)nearest[i].distance};
}

typedef struct search { // what was wished, what was found
    const sample *x;
    const hope *wish;    // [categories]
    const double *means; // [models, categories]
    const match *found;  // [count]
    size_t count;
} search;

static void json_search(const search *r)
{
    const categories *category = &r->x->category;
    json("{'way':%s,'queries':%u,'wish':[", opt.synthetic ? "synthetic" : "direct", r->x->n);
    for (size_t c = 0; c < category->count; ++c)
        if (r->wish[c].weight > 0.0)
            json("{'category':%s,'accuracy':%d,'weight':%d}", category->names[c], r->wish[c].accuracy,
                 r->wish[c].weight);
    json("],'models':[");
    for (const match *m = r->found; m < r->found + r->count && m->model != SIZE_MAX; ++m) {
        json("\n{'model':%s,'index':%u,'distance':%d,'categories':[", model_name(m->model), m->model, m->distance);
        for (size_t c = 0; c < category->count; ++c) {
            const double have = r->means[m->model * category->count + c];
            json("{'category':%s,'expected':%d", category->names[c], have);
            if (r->wish[c].weight > 0.0) json("'gap':%d", have - r->wish[c].accuracy);
            json("}");
        }
        json("]}");
    }
    json("]}\n");
}

// A row for the names of the wished categories, one for the wishes, one for each model found.
static void print_search(const search *r)
{
    const categories *category = &r->x->category;
    const int width = longest_name();
    for (size_t row = 0; row < r->count + 2; ++row) {
        const match *m = row < 2 ? NULL : &r->found[row - 2];
        if (m && m->model == SIZE_MAX) break;
        if (m) say("%4z  %-*t  %8.4f", row - 1, width, model_name(m->model), m->distance);
        else say("%4s  %-*t  %8s", row ? "" : "rank", width, row ? "wished" : "model", row ? "" : "distance");
        for (size_t c = 0; c < category->count; ++c) {
            const char *name = category->names[c];
            const int room = text_width(name) > 15 ? text_width(name) : 15;
            if (r->wish[c].weight <= 0.0) continue;
            if (row == 0) say("  %15t", name);
            else if (row == 1) say("  %*.1f %%%7s", room - 9, 100.0 * r->wish[c].accuracy, "");
            else {
                const double have = r->means[m->model * category->count + c];
                say("  %*.1f %%%+7.1f", room - 9, 100.0 * have, 100.0 * (have - r->wish[c].accuracy));
            }
        }
        say("\n");
    }
    say(opt.synthetic
            ? "\ndistance: cosine, of the embedding of answers drawn as wished; then expected accuracy and gap, "
              "in points\n"
            : "\ndistance: root of the weighted mean squared gap; then expected accuracy and gap, in points\n");
}

static void run_search(void)
{
    if (!opt.categories && (opt.encodings || opt.text_file))
        misuse("--categories FILE is required: the category of each query");
    const sample x = open_sample(SAMPLE_NEEDED);
    size_t k = opt.top ? opt.top : 10;
    if (k > x.models) k = x.models;
    const hope *wish = read_wishes(&x.category);
    const double *means = category_means(&x);
    match *found = take(x.models, sizeof *found);
    size_t wished = 0;
    for (size_t c = 0; c < x.category.count; ++c) wished += wish[c].weight > 0.0;
    if (!wished) fail("--want: expected a weight above 0, found none");
    if (opt.synthetic) search_synthetic(&x, wish, k, found);
    else match_wishes(&x, means, wish, found);
    const search r = {.x = &x, .wish = wish, .means = means, .found = found, .count = k};
    if (opt.json) json_search(&r);
    else print_search(&r);
}

static const flag search_flags[] = {{"--want", "CATEGORY=ACCURACY,...", TEXT, AT(want), 1,
                                     "accuracy wished, 0 to 1 or in %, each with :WEIGHT if not 1"},
                                    POOL_FLAGS,
                                    QUERY_FLAGS("sample queries [n, q_dim]"),
                                    {"--categories", "FILE", TEXT, AT(categories), 0, "category of each query"},
                                    {"--top", "K", COUNT, AT(top), 0, "how many models (default: 10)"},
                                    AVAILABLE_FLAG,
                                    {"--synthetic", "", SWITCH, AT(synthetic), 0,
                                     "the paper's way: encode answers drawn at these rates, take the nearest"},
                                    JSON_FLAG,
                                    COMMON_FLAGS};

const command search_command = {
    "search", "Find models by the accuracy wished in each category.", search_flags, run_search,
    "Categories that are not named do not matter.\n\n"
    "Example:\n  locus search --router router.safetensors --encodings q.npy --categories c.txt --want "
    "math=0.5,law=40%:2\n"};
