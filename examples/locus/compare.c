// SPDX-License-Identifier: MIT
// locus compare, duplicates: two models, and pairs that may be one.

#include "locus_tool.h"
#include "pictures.h"

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
    const double *means = category_means(s, x);
    *out = (contrast *)take(s, x->categories, sizeof **out);
    *count = 0;
    if (!means || !*out) return FAILED;
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
    locus_comparison c;
    locus_compare_opts opts;
    locus_evals evals;
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
    if (all_distances(s, &embeddings, &distances)) return FAILED;
    memset(&opts, 0, sizeof opts);
    memset(&evals, 0, sizeof evals);
    evals.queries = x.queries;
    evals.scores.models = x.models;
    evals.scores.u8 = x.scores;
    opts.correlation = 0.3; // of real models' answers, given their chances (bench/RESULTS-explore.md)
    opts.category = x.category;
    opts.categories = x.categories;
    opts.by_category = x.category ? (locus_interval *)take(s, x.categories, sizeof *opts.by_category) : NULL;
    if (x.category && !opts.by_category) return FAILED;
    const locus_run run = run_of(s);
    progress_begin(s, "resample");
    int failed = locus_compare(s->pool, a, b, x.n ? &evals : NULL, &opts, &c, &run, &s->err) != LOCUS_OK;
    progress_end(s);
    if (failed) return fail(s, "%s", s->err.message);
    if (x.category && contrast_categories(s, &x, a, b, opts.by_category, &list, &listed)) return FAILED;
    if (wants_picture(s)) {
        pairs p;
        pair_mark mark;
        float *expected = NULL;
        if (choose_view(s, &x, LOCUS_DISAGREEMENT, &chances) || all_distances(s, &chances, &expected) ||
            collect_pairs(s, &x, distances, expected, &p))
            return FAILED;
        mark.x = c.distance.value;
        mark.y = p.observed ? 1.0 - c.observed.value : 1.0 - c.agreement.value;
        mark.text = phrase(s, "%s, %s", model_name(s, a), model_name(s, b));
        if (save_scatter(s, &x, &p, &mark, mark.y >= 0.0)) return FAILED;
    }
    const locus_model *ma = locus_pool_model(s->pool, a), *mb = locus_pool_model(s->pool, b);
    size_t rank_a = neighbour_rank(distances, x.models, a, b), rank_b = neighbour_rank(distances, x.models, b, a);
    if (s->opt.json) {
        json("{'a':%s,'b':%s,'level':0.9,", ma->name, mb->name);
        json_interval("cosine_distance", &c.distance);
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
    printf("\n\ncosine distance      %.4f", c.distance.value);
    if (is_finite(c.distance.low)) printf(" (%.4f to %.4f)", c.distance.low, c.distance.high);
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

// x[dim] <- a unit vector along the row, or 0
static void unit_row(const locus_points *p, size_t row, double *x)
{
    const float *from = p->rows + row * (p->stride ? p->stride : p->dim);
    double square = 0.0;
    for (size_t i = 0; i < p->dim; ++i) square += (double)from[i] * (double)from[i];
    for (size_t i = 0; i < p->dim; ++i) x[i] = square > 0.0 ? 1.0 / sqrt(square) * (double)from[i] : 0.0;
}

// The chance that one and the same model, evaluated twice on other queries, would lie as far apart by cosine as a and b
// or farther: the share of (a_r - a_0) - (b_s - b_0) over all resampled rows r and s that are as long.
static double same_embedding(session *s, const locus_points *a, const locus_points *b)
{
    const size_t dim = a->dim;
    size_t farther = 0;
    double *x = (double *)take(s, 4 * dim, sizeof *x), *a0 = x, *b0 = x + dim, *ar = x + 2 * dim, *bs = x + 3 * dim;
    double apart = 0.0;
    if (!x) return NAN;
    unit_row(a, 0, a0);
    unit_row(b, 0, b0);
    for (size_t i = 0; i < dim; ++i) apart += (a0[i] - b0[i]) * (a0[i] - b0[i]);
    for (size_t r = 1; r < a->count; ++r) {
        unit_row(a, r, ar);
        for (size_t k = 1; k < b->count; ++k) {
            double sum = 0.0;
            unit_row(b, k, bs);
            for (size_t i = 0; i < dim; ++i) {
                double d = ar[i] - a0[i] - (bs[i] - b0[i]);
                sum += d * d;
            }
            farther += sum >= apart;
        }
    }
    return (1.0 + (double)farther) / (1.0 + (double)(a->count - 1) * (double)(b->count - 1));
}

// The tests, for the most suspicious pairs. Same: p of the exact one, times the number of pairs, is below 1 %.
// Different means: no more alike than all but the most alike 5 % of the pairs.
static int test_likenesses(session *s, const sample *x, likeness *list, size_t count, size_t pair_count)
{
    locus_scores scores;
    double correlation = 0.0;
    memset(&scores, 0, sizeof scores);
    scores.models = x->models;
    scores.count = x->n;
    scores.u8 = x->scores;
    if (locus_answer_correlation(&x->profiles, &scores, 0.95, NULL, &correlation, NULL, &s->err))
        return fail(s, "--scores %s: %s", s->opt.scores, s->err.message);
    progress_begin(s, "test");
    for (size_t i = 0; i < count; ++i) {
        likeness *l = &list[i];
        const float *pa = x->profiles.rows + l->a * x->n, *pb = x->profiles.rows + l->b * x->n;
        if (l->shared) {
            locus_likeness found;
            if (locus_same_answers(&found, pa, pb, &scores, l->a, l->b, correlation, NULL, &s->err))
                return fail(s, "--scores %s: %s", s->opt.scores, s->err.message);
            l->p = found.p;
            l->same = l->p * (double)pair_count < 0.01;
        } else if (s->info.has_encoder) {
            locus_points a, b;
            if (load_versions(s, x, l->a, &a) || load_versions(s, x, l->b, &b)) return FAILED;
            if (a.count < 3 || b.count < 3) continue;
            l->p = same_embedding(s, &a, &b);
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

const command compare_command = {
    "compare", "Compare two models: distance, accuracy, agreement, where they differ.", compare_flags, run_compare,
    "With --scores and an encoder in the net, intervals come from embeddings of resampled evaluations.\n\n"
    "Example:\n  locus compare Yi-34B Qwen1.5-110B --router router.safetensors --encodings q.npy --categories "
    "c.txt\n"};

static const flag duplicates_flags[] = {
    POOL_FLAGS,
    QUERY_FLAGS("the queries of --scores, or a sample"),
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
