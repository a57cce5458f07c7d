// SPDX-License-Identifier: MIT
// locus compare, duplicates: two models, and pairs that may be one.

#include "pictures.h"

// ---------------------------------------------------------------------------------------------------- scatter of pairs

// Distance of every pair against its observed, or else expected, disagreement.
static void save_scatter(const sample *x, const float *distances, const pair_mark *marks, size_t mark_count)
{
    const size_t m = x->models;
    const view chances = make_view(x, BY_DISAGREEMENT);
    const float *expected = all_distances(&chances);
    scatter_picture p = {.title = phrase("Distance and disagreement of %zu models", m),
                         .note = phrase("all pairs, %zu queries", x->n),
                         .x_name = "cosine distance of the embeddings",
                         .y_name = x->scores ? "share of unlike answers, observed" : "expected share of unlike answers",
                         .x = take(m * (m - 1) / 2, sizeof(double)),
                         .y = take(m * (m - 1) / 2, sizeof(double)),
                         .marks = marks,
                         .mark_count = mark_count};
    for (size_t i = 0; i < m; ++i)
        for (size_t j = 0; j < i; ++j) {
            size_t shared = 0, different = x->scores ? unlike(x, i, j, &shared) : 0;
            if (x->scores && !shared) continue;
            p.x[p.n] = (double)distances[i * m + j];
            p.y[p.n++] = x->scores ? (double)different / (double)shared : (double)expected[i * m + j];
        }
    save_picture(draw_scatter, &p, p.title);
}

static const char *pair_text(size_t a, size_t b) { return phrase("%s, %s", model_name(a), model_name(b)); }

// ------------------------------------------------------------------------------------------------------------- compare

typedef struct contrast { // of two models in one category
    size_t category, queries;
    double a, b;
    locus_interval difference;
} contrast;

static int by_contrast(const void *a, const void *b)
{
    const contrast *x = a, *y = b;
    double p = fabs(x->difference.value), q = fabs(y->difference.value);
    return p > q ? -1 : p < q ? 1 : (x->category > y->category) - (x->category < y->category);
}

// The categories, the largest difference first.
static contrast *contrast_categories(const sample *x, size_t a, size_t b, const locus_interval *difference)
{
    const size_t n = x->category.count;
    const double *means = category_means(x);
    contrast *list = take(n, sizeof *list);
    for (size_t c = 0; c < n; ++c)
        list[c] = (contrast){.category = c, .a = means[a * n + c], .b = means[b * n + c], .difference = difference[c]};
    for (size_t i = 0; i < x->n; ++i) list[x->category.of[i]].queries++;
    qsort(list, n, sizeof *list, by_contrast);
    return list;
}

// Of a's neighbours by cosine, the how-manieth is b?
static size_t neighbour_rank(const float *distances, size_t n, size_t a, size_t b)
{
    const float *d = distances + a * n;
    size_t rank = 1;
    for (size_t i = 0; i < n; ++i) rank += i != a && i != b && (d[i] < d[b] || (d[i] <= d[b] && i < b));
    return rank;
}

typedef struct comparison { // of models a and b
    size_t a, b, rank_of_b, rank_of_a;
    locus_comparison found;
    const contrast *list; // [categories]
} comparison;

static void json_comparison(const sample *x, const comparison *c)
{
    const locus_comparison *f = &c->found;
    json("{'a':%s,'b':%s,'level':0.9,'cosine_distance':%i,'rank_of_b_for_a':%u,'rank_of_a_for_b':%u,'queries':%u",
         model_name(c->a), model_name(c->b), &f->distance, c->rank_of_b, c->rank_of_a, x->n);
    if (x->n) {
        json("'accuracy_a':%i,'accuracy_b':%i,'difference':%i,'predicted_agreement':%i,'observed_agreement':%i",
             &f->accuracy_a, &f->accuracy_b, &f->difference, &f->agreement, &f->observed);
        json("'shared':%u,'categories':[", f->shared);
        for (size_t i = 0; i < x->category.count; ++i)
            json("{'category':%s,'queries':%u,'accuracy_a':%d,'accuracy_b':%d,'difference':%i}",
                 x->category.names[c->list[i].category], c->list[i].queries, c->list[i].a, c->list[i].b,
                 &c->list[i].difference);
        json("]");
    }
    json("}\n");
}

static void print_comparison(const sample *x, const comparison *c)
{
    const locus_comparison *f = &c->found;
    const int width = widest(x->category.names, x->category.count, 8);
    say("A  %t\nB  %t\n\ncosine distance      %.4f", model_name(c->a), model_name(c->b), f->distance.value);
    if (is_finite(f->distance.low)) say(" (%.4f to %.4f)", f->distance.low, f->distance.high);
    say("; B is neighbour %z of A, A is neighbour %z of B, of %z\n", c->rank_of_b, c->rank_of_a, x->models - 1);
    if (x->n) {
        say("expected accuracy    A %i, B %i\n", &f->accuracy_a, &f->accuracy_b);
        say("difference A - B     %i\nexpected agreement   %i of %z queries\n", &f->difference, &f->agreement, x->n);
        if (f->shared) say("observed agreement   %i of %z queries\n", &f->observed, f->shared);
        if (is_finite(f->difference.low) || f->shared) say("(in brackets: 90 %% intervals)\n");
    } else say("--encodings or --text with sample queries tells more: accuracy and agreement\n");
    if (x->category.count) say("\n%-*t  %7s  %7s  %7s  %s\n", width, "category", "queries", "A", "B", "A - B");
    for (size_t i = 0; i < x->category.count; ++i)
        say("%-*t  %7z  %7p  %7p  %i\n", width, x->category.names[c->list[i].category], c->list[i].queries,
            c->list[i].a, c->list[i].b, &c->list[i].difference);
    mention_pictures();
}

static void run_compare(void)
{
    const sample x = open_sample(wants_picture() ? SAMPLE_NEEDED : SAMPLE_OPTIONAL);
    const size_t n = x.category.count;
    comparison c = {.a = find_model("A", opt.file), .b = find_model("B", opt.second)};
    if (c.a == c.b) misuse("expected two models, found %s twice", opt.file);
    const view embeddings = make_view(&x, BY_COSINE);
    const float *distances = all_distances(&embeddings);
    c.rank_of_b = neighbour_rank(distances, x.models, c.a, c.b);
    c.rank_of_a = neighbour_rank(distances, x.models, c.b, c.a);
    const locus_evals evals = {.queries = x.queries, .scores = {.models = x.models, .u8 = x.scores}};
    const locus_compare_opts opts = {.correlation =
                                         0.3, // of real models' answers, given their chances (bench/RESULTS-explore.md)
                                     .category = x.category.of,
                                     .categories = n,
                                     .by_category = n ? take(n, sizeof *opts.by_category) : NULL};
    progress_begin("resample");
    must(locus_compare(tool.pool, c.a, c.b, x.n ? &evals : NULL, &opts, &c.found, &tool.run, &tool.err));
    progress_end();
    if (n) c.list = contrast_categories(&x, c.a, c.b, opts.by_category);
    if (wants_picture()) {
        const pair_mark mark = {.x = c.found.distance.value,
                                .y = 1.0 - (x.scores ? c.found.observed.value : c.found.agreement.value),
                                .text = pair_text(c.a, c.b)};
        save_scatter(&x, distances, &mark, mark.y >= 0.0);
    }
    if (opt.json) json_comparison(&x, &c);
    else print_comparison(&x, &c);
}

static const flag compare_flags[] = {
    {"A", "", POSITION, AT(file), 1, "a model of the pool"},
    {"B", "", POSITION, AT(second), 1, "another"},
    POOL_FLAGS,
    QUERY_FLAGS("sample queries [n, q_dim]"),
    {"--categories", "FILE", TEXT, AT(categories), 0, "category of each query: where the two differ"},
    SCORE_FLAGS(0),
    PICTURE_FLAGS("distance against disagreement of all pairs; these two stand out"),
    JSON_FLAG,
    COMMON_FLAGS};

const command compare_command = {
    "compare", "Compare two models: distance, accuracy, agreement, where they differ.", compare_flags, run_compare,
    "With --scores and an encoder in the net, intervals come from embeddings of resampled evaluations.\n\n"
    "Example:\n  locus compare Yi-34B Qwen1.5-110B --router router.safetensors --encodings q.npy --categories "
    "c.txt\n"};

// ---------------------------------------------------------------------------------------------------------- duplicates

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
    const likeness *x = a, *y = b;
    if (x->suspicion > y->suspicion || x->suspicion < y->suspicion) return x->suspicion > y->suspicion ? -1 : 1;
    return x->a != y->a ? (x->a > y->a) - (x->a < y->a) : (x->b > y->b) - (x->b < y->b);
}

static likeness liken(const sample *x, size_t a, size_t b, double distance)
{
    likeness l = {.a = a, .b = b, .p = NAN, .distance = distance, .expected = NAN};
    double expected = 0.0;
    if (x->scores) l.unlike = unlike(x, a, b, &l.shared);
    for (size_t i = 0; i < x->n; ++i) {
        const double p = (double)x->profiles.rows[a * x->n + i], q = (double)x->profiles.rows[b * x->n + i];
        if (!l.shared || (x->scores[a * x->n + i] != 255 && x->scores[b * x->n + i] != 255))
            expected += p * (1.0 - q) + (1.0 - p) * q;
    }
    if (x->n) l.expected = expected / (double)(l.shared ? l.shared : x->n);
    l.suspicion = l.shared ? (expected - (double)l.unlike) / sqrt(expected + 1e-9) : -1e6 - distance;
    return l;
}

// All pairs, the most suspicious first.
static likeness *list_likenesses(const sample *x, const float *distances, size_t *count)
{
    likeness *list = take(x->models * (x->models - 1) / 2, sizeof *list);
    *count = 0;
    progress_begin("pairs");
    for (size_t b = 0; b < x->models; ++b) {
        for (size_t a = 0; a < b; ++a) list[(*count)++] = liken(x, a, b, (double)distances[a * x->models + b]);
        progress(NULL, b + 1, x->models);
    }
    progress_end();
    qsort(list, *count, sizeof *list, by_suspicion);
    return list;
}

// to[dim] <- a unit vector along the row, or 0.
static void unit_row(const locus_points *p, size_t row, double *to)
{
    const float *from = p->rows + row * p->dim;
    double square = 0.0;
    for (size_t i = 0; i < p->dim; ++i) square += (double)from[i] * (double)from[i];
    for (size_t i = 0; i < p->dim; ++i) to[i] = square > 0.0 ? 1.0 / sqrt(square) * (double)from[i] : 0.0;
}

// The chance that one and the same model, evaluated twice on other queries, would lie as far apart by cosine as a and b
// or farther: the share of (a_r - a_0) - (b_s - b_0) over all resampled rows r and s that are as long.
static double same_embedding(const locus_points *a, const locus_points *b)
{
    const size_t dim = a->dim;
    double *x = take(4 * dim, sizeof *x), *a0 = x, *b0 = x + dim, *ar = x + 2 * dim, *bs = x + 3 * dim;
    double apart = 0.0;
    size_t farther = 0;
    unit_row(a, 0, a0);
    unit_row(b, 0, b0);
    for (size_t i = 0; i < dim; ++i) apart += (a0[i] - b0[i]) * (a0[i] - b0[i]);
    for (size_t r = 1; r < a->count; ++r) {
        unit_row(a, r, ar);
        for (size_t k = 1; k < b->count; ++k) {
            double sum = 0.0;
            unit_row(b, k, bs);
            for (size_t i = 0; i < dim; ++i) {
                const double d = ar[i] - a0[i] - (bs[i] - b0[i]);
                sum += d * d;
            }
            farther += sum >= apart;
        }
    }
    return (1.0 + (double)farther) / (1.0 + (double)(a->count - 1) * (double)(b->count - 1));
}

// p of the embeddings, for two that share no query.
static void test_embeddings(const sample *x, likeness *l)
{
    const locus_points a = load_versions(x, l->a), b = load_versions(x, l->b);
    if (a.count < 3 || b.count < 3) return;
    l->p = same_embedding(&a, &b);
    l->by_distance = 1;
}

// The tests, for the most suspicious pairs. Same: p of the exact one, times the number of pairs, is below 1 %.
// Different means: no more alike than all but the most alike 5 % of the pairs.
static void test_likenesses(const sample *x, likeness *list, size_t count, size_t pair_count)
{
    const locus_scores scores = {.models = x->models, .count = x->n, .u8 = x->scores};
    const char *where = phrase("--scores %s", opt.scores);
    double correlation = 0.0;
    must_for(locus_answer_correlation(&x->profiles, &scores, 0.95, NULL, &correlation, &tool.quiet, &tool.err), where);
    progress_begin("test");
    for (size_t i = 0; i < count; ++i) {
        likeness *l = &list[i];
        const float *rows = x->profiles.rows;
        if (l->shared) {
            locus_likeness found;
            must_for(locus_same_answers(&found, rows + l->a * x->n, rows + l->b * x->n, &scores, l->a, l->b,
                                        correlation, &tool.quiet, &tool.err),
                     where);
            l->p = found.p;
            l->same = l->p * (double)pair_count < 0.01;
        } else if (tool.info.has_encoder) test_embeddings(x, l);
        progress(NULL, i + 1, count);
    }
    progress_end();
}

static void picture_likenesses(const sample *x, const float *distances, const likeness *list, size_t count)
{
    pair_mark marks[12];
    size_t marked = 0;
    for (size_t i = 0; i < count && marked < (x->scores ? 12u : 6u); ++i) {
        const likeness *l = &list[i];
        if (x->scores && !l->same) continue;
        marks[marked++] = (pair_mark){.x = l->distance,
                                      .y = x->scores ? (double)l->unlike / (double)l->shared : l->expected,
                                      .text = pair_text(l->a, l->b)};
    }
    save_scatter(x, distances, marks, marked);
}

static void show_likeness(const sample *x, const likeness *l, int width)
{
    const char *a = model_name(l->a), *b = model_name(l->b);
    const int tested = is_finite(l->p);
    if (opt.json) {
        json("\n{'a':%s,'b':%s,'cosine_distance':%d,'expected_disagreement':%d,'shared':%u,'unlike':%u", a, b,
             l->distance, l->expected, l->shared, l->unlike);
        json("'test':%s,'p':%d,'same':%b}", !tested ? "none" : l->by_distance ? "embedding" : "answers", l->p, l->same);
        return;
    }
    say("%-*t  %-*t  %8.5f  %8p", width, a, width, b, l->distance, l->expected);
    if (x->scores)
        say("  %8p  %8z  %9.2g%s", l->shared ? (double)l->unlike / (double)l->shared : NAN, l->shared, l->p,
            tested && l->by_distance ? " (of embeddings)"
            : tested && l->same      ? "  same or copies"
                                     : "");
    say("\n");
}

static void run_duplicates(void)
{
    const sample x = open_sample(wants_picture() ? SAMPLE_NEEDED : SAMPLE_OPTIONAL);
    const view embeddings = make_view(&x, BY_COSINE);
    const float *distances = all_distances(&embeddings);
    const int width = longest_name();
    size_t count, top = opt.top ? opt.top : 20, same = 0;
    likeness *list = list_likenesses(&x, distances, &count);
    if (top > count) top = count;
    if (x.scores) test_likenesses(&x, list, top, count);
    for (size_t i = 0; i < top; ++i) same += (size_t)list[i].same;
    if (wants_picture()) picture_likenesses(&x, distances, list, top);
    if (opt.json) json("{'pairs_looked_at':%u,'queries':%u,'same':%u,'pairs':[", count, x.n, same);
    else
        say("%-*t  %-*t  %8s  %8s%s\n", width, "model", width, "and", "cosine", "expected",
            x.scores ? "  observed    shared          p" : "");
    for (size_t i = 0; i < top; ++i) show_likeness(&x, &list[i], width);
    if (opt.json) json("]}\n");
    else if (x.scores)
        say("\nexpected, observed: share of unlike answers. p: the chance that different models disagree so rarely "
            "(exact).\n%z of %z pairs called the same: p times the number of pairs is below 1 %%.\n",
            same, count);
    else say("\nThe nearest pairs are candidates, no more: --encodings and --scores test them.\n");
    mention_pictures();
}

static const flag duplicates_flags[] = {
    POOL_FLAGS,
    QUERY_FLAGS("the queries of --scores, or a sample [n, q_dim]"),
    SCORE_FLAGS(0),
    {"--top", "K", COUNT, AT(top), 0, "how many pairs, the most suspicious first (default: 20)"},
    PICTURE_FLAGS("distance against disagreement of all pairs"),
    JSON_FLAG,
    COMMON_FLAGS};

const command duplicates_command = {
    "duplicates", "Find models that are one and the same, or copies.", duplicates_flags, run_duplicates,
    "With --scores: an exact test of how rarely two models disagree; where two have no query in common, a test of\n"
    "their embeddings' distance against what resampled evaluations give.\n\n"
    "Example:\n  locus duplicates --router router.safetensors --encodings q.npy --scores y.npy\n"};
