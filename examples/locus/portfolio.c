// SPDX-License-Identifier: MIT
// locus portfolio: a few models that do the work of all.

#include "locus_tool.h"
#include "pictures.h"

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
    locus_run run = run_of(s);
    run.progress = NULL;
    out->picks = (size_t *)take(s, x->models, sizeof *out->picks);
    if (!out->picks) return FAILED;
    if (locus_portfolio_choose(&x->profiles, &opts, out->picks, NULL, &found, &run, &s->err))
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
    const locus_run run = run_of(s);
    out->picks = (size_t *)take(s, x->models, sizeof *out->picks);
    if (!out->picks) return FAILED;
    if (method == BY_CENTERS
            ? locus_centers(&v->points, v->metric, x->available, k, out->picks, NULL, &run, &s->err)
            : locus_medoids(&v->points, v->metric, x->available, k, out->picks, NULL, NULL, &run, &s->err))
        return fail(s, "%s", s->err.message);
    out->count = k;
    return DONE;
}

// How much nearer all rows come to the picks with this one
static double coverage_gain(const float *distance, const float *nearest, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; ++i)
        if (distance[i] < nearest[i]) sum += (double)nearest[i] - (double)distance[i];
    return sum;
}

// Always the affordable model of largest gain per cost, all being at first as far as any two are.
static int choose_by_coverage(session *s, const sample *x, const view *v, const float *cost, double budget,
                              holdings *out)
{
    const size_t n = x->models;
    double left = budget;
    float *distances = NULL, *nearest = (float *)take(s, n, sizeof *nearest), farthest = 0.0f;
    unsigned char *closed = (unsigned char *)take(s, n, 1);
    out->picks = (size_t *)take(s, n, sizeof *out->picks);
    if (!nearest || !closed || !out->picks) return FAILED;
    for (size_t i = 0; i < n; ++i)
        if (!(cost[i] > 0.0f))
            return fail(s, "--method coverage: %s costs nothing; gain per cost needs a cost of every model",
                        model_name(s, i));
    if (all_distances(s, v, &distances)) return FAILED;
    for (size_t i = 0; i < n; ++i) distances[i * n + i] = 0.0f;
    for (size_t i = 0; i < n * n; ++i) farthest = distances[i] > farthest ? distances[i] : farthest;
    for (size_t i = 0; i < n; ++i) nearest[i] = farthest, closed[i] = !x->available[i];
    for (out->count = 0;;) {
        size_t best = n;
        double rate = 0.0;
        for (size_t i = 0; i < n; ++i) {
            if (closed[i] || (double)cost[i] > left) continue;
            double r = coverage_gain(distances + i * n, nearest, n) / (double)cost[i];
            if (best == n || r > rate) best = i, rate = r;
        }
        if (best == n || (out->count && !(rate > 0.0))) return DONE;
        out->picks[out->count++] = best;
        closed[best] = 1;
        left -= (double)cost[best];
        for (size_t i = 0; i < n; ++i)
            if (distances[best * n + i] < nearest[i]) nearest[i] = distances[best * n + i];
    }
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

const command portfolio_command = {
    "portfolio", "Choose a few models that do the work of all.", portfolio_flags, run_portfolio,
    "The value of a set is the mean over the sample queries of the best predicted chance in it. The bound says how "
    "much\n"
    "better any other set within the same limits could be at most.\n\n"
    "Example:\n  locus portfolio --router router.safetensors --encodings q.npy --budget 100 --svg curve.svg\n"};
