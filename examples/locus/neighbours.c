// SPDX-License-Identifier: MIT
// locus neighbours, cluster, search: models that are alike, or as wished.

#include "locus_tool.h"
#include "pictures.h"

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

typedef struct hope { // of accuracy in a category; weight 0: does not matter
    double accuracy, weight;
} hope;

typedef struct match {
    size_t model;
    double distance; // root of the weighted mean squared gap to the wish
} match;

static int by_match(const void *a, const void *b)
{
    const match *x = (const match *)a, *y = (const match *)b;
    if (x->distance < y->distance || x->distance > y->distance) return x->distance < y->distance ? -1 : 1;
    return (x->model > y->model) - (x->model < y->model);
}

// The available models by how near they come; returns how many. Categories without queries (NaN) are passed over.
static size_t match_wishes(const sample *x, const double *means, const hope *wish, match *found)
{
    size_t count = 0;
    double scale = 0.0; // so that no sum of weights overflows
    for (size_t c = 0; c < x->categories; ++c)
        if (wish[c].weight > scale) scale = wish[c].weight;
    for (size_t m = 0; m < x->models; ++m) {
        double sum = 0.0, weight = 0.0;
        for (size_t c = 0; c < x->categories; ++c) {
            double w = wish[c].weight / scale, gap = means[m * x->categories + c] - wish[c].accuracy;
            if (!(w > 0.0) || is_nan(gap)) continue;
            sum += w * gap * gap;
            weight += w;
        }
        if (!x->available[m] || !(weight > 0.0)) continue;
        found[count].model = m;
        found[count++].distance = sqrt(sum / weight);
    }
    qsort(found, count, sizeof *found, by_match);
    return count;
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
    for (size_t c = 0; c < x->categories; ++c) {
        size_t left = 0, right;
        if (!(wish[c].weight > 0.0)) continue;
        for (size_t i = 0; i < x->n; ++i) left += x->category[i] == (int32_t)c;
        right = (size_t)(wish[c].accuracy * (double)left + 0.5);
        for (size_t i = 0; i < x->n; ++i) {
            if (x->category[i] != (int32_t)c) continue;
            double draw = (double)(mix(mix(1 + 0x9e3779b97f4a7c15u) + i) >> 11) / 9007199254740992.0;
            scores[i] = draw * (double)left < (double)right;
            right -= scores[i];
            --left;
        }
    }
}

// --want "math=0.8,law=50%:2": a wish for each category.
static int read_wishes(session *s, const sample *x, hope *wish)
{
    const char *p = s->opt.want;
    while (p) {
        const char *comma = strchr(p, ','), *nearest = NULL;
        size_t length = comma ? (size_t)(comma - p) : strlen(p), distance = SIZE_MAX, c = 0;
        char *entry = (char *)take(s, length + 1, 1), *equals, *weight;
        hope w;
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
static int search_synthetic(session *s, const sample *x, const hope *wish, size_t k, match *out)
{
    locus_evals evals;
    locus_run run;
    locus_points of;
    view v;
    locus_neighbour *nearest = NULL;
    unsigned char *scores = (unsigned char *)take(s, x->n, 1);
    float *z = (float *)take(s, s->info.z_dim, sizeof *z);
    if (!scores || !z) return FAILED;
    if (!s->info.has_encoder) return fail(s, "--synthetic: expected a net with an encoder, found a predictor only");
    imagine(x, wish, scores);
    memset(&evals, 0, sizeof evals);
    memset(&run, 0, sizeof run);
    evals.queries = x->queries;
    evals.scores.models = 1;
    evals.scores.u8 = scores;
    run.parallel = s->parallel;
    if (locus_encode(s->net, &evals, z, LOCUS_ENCODE_AUTO, &run, &s->err)) return fail(s, "--want: %s", s->err.message);
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
    hope *wish = (hope *)take(s, x.categories, sizeof *wish);
    const double *means = category_means(s, &x);
    match *found = (match *)take(s, x.models, sizeof *found);
    if (!wish || !means || !found) return FAILED;
    if ((status = read_wishes(s, &x, wish)) != DONE) return status;
    for (size_t c = 0; c < x.categories; ++c) wished += wish[c].weight > 0.0;
    if (!wished) return fail(s, "--want: expected a weight above 0, found none");
    if (k > x.models) k = x.models;
    if (o->synthetic) {
        if (search_synthetic(s, &x, wish, k, found)) return FAILED;
    } else {
        size_t matches = match_wishes(&x, means, wish, found);
        if (k > matches) k = matches;
    }
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
    printf(
        "\n%s\n",
        o->synthetic
            ? "distance: cosine, of the embedding of answers drawn as wished; then expected accuracy and gap, in points"
            : "distance: root of the weighted mean squared gap; then expected accuracy and gap, in points");
    return DONE;
}

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

const command neighbours_command = {
    "neighbours", "Find the models that are most alike, to stand in for one another.", neighbours_flags, run_neighbours,
    "Models that are not available are no neighbours. Metrics: cosine and euclidean of the embeddings; chances, the "
    "root\n"
    "mean square difference of the predicted chances on the sample queries, which finds the best stand-ins;\n"
    "disagreement, the expected share of unlike answers if answers were independent.\n\n"
    "Example:\n  locus neighbours Yi-34B --router router.safetensors --encodings q.npy --svg map.svg\n"};

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

const command cluster_command = {
    "cluster", "Group the models of a pool.", cluster_flags, run_cluster,
    "Example:\n  locus cluster --router router.safetensors --encodings q.npy --count 6 --svg clusters.svg\n"};

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

const command search_command = {
    "search", "Find models by the accuracy wished in each category.", search_flags, run_search,
    "Categories that are not named do not matter.\n\n"
    "Example:\n  locus search --router router.safetensors --encodings q.npy --categories c.txt --want "
    "math=0.5,law=40%:2\n"};
