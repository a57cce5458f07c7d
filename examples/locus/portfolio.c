// SPDX-License-Identifier: MIT
// locus portfolio: a few models that do the work of all.

#include "pictures.h"

typedef enum pick_method { BY_VALUE, BY_CENTERS, BY_MEDOIDS, BY_COVERAGE } pick_method;

typedef struct holdings { // a portfolio
    size_t *picks, count;
    double value, measured, cost, bound; // NaN: not known
} holdings;

typedef struct market { // what there is to choose from
    sample x;
    view v;
    float *cost, *known;  // [models] NaN: unknown; the same with 0 there, where costs do not count
    size_t *every, could; // the models that are available
    size_t best;          // of them the best single one; SIZE_MAX: not known
    double best_value, all_value;
} market;

// The best set by value within the limits.
static holdings choose_by_value(const market *m, size_t count, double budget, double lambda)
{
    const locus_portfolio_opts opts = {.count = count,
                                       .budget = fmax(budget, 0.0),
                                       .lambda = fmax(lambda, 0.0),
                                       .cost = m->known,
                                       .available = m->x.available};
    size_t *picks = take(m->x.models, sizeof *picks);
    locus_portfolio found;
    if (locus_portfolio_choose(&m->x.profiles, &opts, picks, NULL, &found, &tool.quiet, &tool.err))
        fail("%s%s", opts.budget > 0.0 ? phrase("--budget %g: ", budget) : "", tool.err.message);
    return (holdings){.picks = picks, .count = found.count, .bound = found.bound};
}

// k models by their places alone.
static holdings choose_by_place(const market *m, pick_method method, size_t k)
{
    const view *v = &m->v;
    const unsigned char *available = m->x.available;
    holdings h = {.picks = take(m->x.models, sizeof *h.picks), .count = k, .bound = NAN};
    must(method == BY_CENTERS
             ? locus_centers(&v->points, v->metric, available, k, h.picks, NULL, &tool.run, &tool.err)
             : locus_medoids(&v->points, v->metric, available, k, h.picks, NULL, NULL, &tool.run, &tool.err));
    return h;
}

// How much nearer all models come to the picks with the one that has these distances.
static double coverage_gain(const float *distance, const float *nearest, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; ++i)
        if (distance[i] < nearest[i]) sum += (double)nearest[i] - (double)distance[i];
    return sum;
}

// Always the affordable model of largest gain per cost, all being at first as far as any two are.
static holdings choose_by_coverage(const market *m)
{
    const size_t n = m->x.models;
    holdings h = {.picks = take(n, sizeof *h.picks), .bound = NAN};
    double left = opt.budget;
    float *nearest = take(n, sizeof *nearest), farthest = 0.0f;
    unsigned char *closed = take(n, 1);
    for (size_t i = 0; i < n; ++i)
        if (!(m->known[i] > 0.0f))
            fail("--method coverage: %s costs nothing; gain per cost needs a cost of every model", model_name(i));
    float *distances = all_distances(&m->v);
    for (size_t i = 0; i < n; ++i) distances[i * n + i] = 0.0f;
    for (size_t i = 0; i < n * n; ++i) farthest = distances[i] > farthest ? distances[i] : farthest;
    for (size_t i = 0; i < n; ++i) nearest[i] = farthest, closed[i] = !m->x.available[i];
    for (;;) {
        size_t best = n;
        double rate = 0.0;
        for (size_t i = 0; i < n; ++i) {
            if (closed[i] || (double)m->known[i] > left) continue;
            const double gain = coverage_gain(distances + i * n, nearest, n) / (double)m->known[i];
            if (best == n || gain > rate) best = i, rate = gain;
        }
        if (best == n || (h.count && !(rate > 0.0))) return h;
        h.picks[h.count++] = best;
        closed[best] = 1;
        left -= (double)m->known[best];
        for (size_t i = 0; i < n; ++i) nearest[i] = fminf(nearest[i], distances[best * n + i]);
    }
}

// Value by size: ours and its bound, k-center, k-medoids, the best single model.
static void save_curves(const market *m, const holdings *chosen)
{
    enum { BOUND, VALUE, CENTERS, MEDOIDS, SINGLE, MEASURED, CURVES, MOST_SIZES = 25 };
    const sample *x = &m->x;
    const size_t n = m->could < MOST_SIZES ? m->could : MOST_SIZES;
    double *values[CURVES], *gained = take(chosen->count, sizeof *gained);
    const char **picked = take(chosen->count, sizeof *picked);
    for (int c = 0; c < CURVES; ++c) values[c] = take(n, sizeof(double));
    const holdings centers = choose_by_place(m, BY_CENTERS, n);
    progress_begin("curve");
    for (size_t k = 0; k < n; ++k) {
        const holdings now = choose_by_value(m, k + 1, 0.0, 0.0), places = choose_by_place(m, BY_MEDOIDS, k + 1);
        values[BOUND][k] = now.bound;
        values[VALUE][k] = set_value(x, now.picks, now.count, &values[MEASURED][k]);
        values[CENTERS][k] = set_value(x, centers.picks, k + 1, NULL);
        values[MEDOIDS][k] = set_value(x, places.picks, places.count, NULL);
        values[SINGLE][k] = values[VALUE][0];
        progress(NULL, k + 1, n);
    }
    progress_end();
    for (size_t i = 0; i < chosen->count; ++i) {
        picked[i] = model_name(chosen->picks[i]);
        gained[i] = set_value(x, chosen->picks, i + 1, NULL);
    }
    const curve curves[CURVES] = {
        {"upper bound", values[BOUND], 7, 1},        {"by value", values[VALUE], 0, 0},
        {"k-center", values[CENTERS], 1, 0},         {"k-medoids", values[MEDOIDS], 2, 0},
        {"best single model", values[SINGLE], 3, 1}, {"by value, measured", values[MEASURED], 5, 0}};
    const curve_picture p = {
        .title = phrase("Portfolios of 1 to %zu of %zu models", n, m->could),
        .note = phrase("mean over %zu queries of the best predicted chance in the set; places by %s", x->n, m->v.words),
        .y_name = "expected share of right answers",
        .curves = curves,
        .curve_count = x->scores ? CURVES : MEASURED,
        .n = n,
        .chosen = chosen->count,
        .names = picked,
        .values = gained};
    save_picture(draw_curves, &p, p.title);
}

static void check_flags(pick_method method)
{
    if (method == BY_VALUE && !opt.encodings && !opt.text_file)
        misuse(
            "--encodings Q.npy or --text FILE.jsonl is required: sample queries to value a set by; --method centers, "
            "medoids or coverage looks at the embeddings alone");
    if (method == BY_COVERAGE && !(opt.budget > 0.0)) misuse("--method coverage needs a --budget");
    if (method == BY_COVERAGE && opt.count) misuse("--method coverage takes a --budget, not a --count");
    if ((method == BY_CENTERS || method == BY_MEDOIDS) && (opt.budget >= 0.0 || opt.lambda >= 0.0))
        misuse("--budget and --lambda need --method value or coverage");
    if (method == BY_COVERAGE && opt.lambda >= 0.0) misuse("--lambda needs --method value");
    if (method == BY_VALUE && opt.budget >= 0.0 && !(opt.budget > 0.0)) misuse("--budget: expected more than 0");
}

static market open_market(void)
{
    market m = {.x = open_sample(wants_picture() ? SAMPLE_NEEDED : SAMPLE_OPTIONAL),
                .best = SIZE_MAX,
                .best_value = NAN,
                .all_value = NAN};
    const size_t n = m.x.models;
    m.v = choose_view(&m.x, BY_COSINE); // as the paper's
    m.cost = take(n, sizeof *m.cost);
    m.known = take(n, sizeof *m.known);
    m.every = take(n, sizeof *m.every);
    for (size_t i = 0; i < n; ++i) {
        const int unknown = is_nan(locus_pool_model(tool.pool, i)->cost);
        m.cost[i] = (float)locus_pool_model(tool.pool, i)->cost;
        m.known[i] = unknown ? 0.0f : m.cost[i];
        if (!m.x.available[i]) continue;
        m.every[m.could++] = i;
        if (unknown && (opt.budget >= 0.0 || opt.lambda > 0.0))
            fail("%s: the cost of %s is unknown: leave it out with --available",
                 opt.budget >= 0.0 ? "--budget" : "--lambda", model_name(i));
    }
    if (m.could == 0) fail("no model of the pool is available");
    for (size_t i = 0; m.x.n && i < m.could; ++i) {
        const double worth = set_value(&m.x, &m.every[i], 1, NULL);
        if (m.best == SIZE_MAX || worth > m.best_value) m.best = m.every[i], m.best_value = worth;
    }
    if (m.x.n) m.all_value = set_value(&m.x, m.every, m.could, NULL);
    return m;
}

// One after another, with what the first so many are worth.
static void show_picks(const market *m, const holdings *h)
{
    const int width = longest_name();
    double total = 0.0;
    if (opt.json) json("'picks':[");
    else
        say("%5s  %-*t  %10s  %10s%s%s\n", "", width, "model", "cost", "all cost", m->x.n ? "     value" : "",
            m->x.scores ? "  measured" : "");
    for (size_t i = 0; i < h->count; ++i) {
        const size_t model = h->picks[i];
        const double cost = (double)m->cost[model];
        double measured = NAN, worth = m->x.n ? set_value(&m->x, h->picks, i + 1, &measured) : NAN;
        total += cost;
        if (opt.json) {
            json("{'model':%s,'index':%u,'cost':%f,'value':%d,'measured':%d}", model_name(model), model, cost, worth,
                 measured);
            continue;
        }
        say("%5z  %-*t  %10.6g  %10.6g", i + 1, width, model_name(model), cost, total);
        if (m->x.n) say("  %8p", worth);
        if (m->x.scores) say("  %8p", measured);
        say("\n");
    }
    if (opt.json) json("]}\n");
}

static void print_bound(const holdings *h)
{
    if (!is_finite(h->bound)) return;
    if (opt.lambda > 0.0)
        say("bound              no set has a larger value - lambda * cost than %.4f; this one has %.4f\n", h->bound,
            h->value - opt.lambda * h->cost);
    else
        say("bound              no set within the limits is worth more than %p; this one is within %.2f points\n",
            h->bound, 100.0 * fmax(h->bound - h->value, 0.0));
}

static void run_portfolio(void)
{
    static const char *const methods[] = {"value", "centers", "medoids", "coverage"};
    const pick_method method = (pick_method)opt.method;
    check_flags(method);
    const market m = open_market();
    const int limited = opt.budget >= 0.0 || opt.lambda > 0.0;
    size_t k = opt.count ? opt.count : 5;
    if (opt.count > m.could) fail("--count %zu: %zu models are available", k, m.could);
    if (k > m.could) k = m.could;
    holdings h = method == BY_VALUE      ? choose_by_value(&m, opt.count || !limited ? k : 0, opt.budget, opt.lambda)
                 : method == BY_COVERAGE ? choose_by_coverage(&m)
                                         : choose_by_place(&m, method, k);
    h.cost = 0.0;
    h.value = h.measured = NAN;
    for (size_t i = 0; i < h.count; ++i) h.cost += (double)m.cost[h.picks[i]];
    if (m.x.n) h.value = set_value(&m.x, h.picks, h.count, &h.measured);
    if (wants_picture()) save_curves(&m, &h);
    const char *best = m.best == SIZE_MAX ? "" : model_name(m.best);
    if (opt.json)
        json("{'method':%s,'queries':%u,'value':%d,'cost':%d,'bound':%d,'measured':%d,'best_single':%s,"
             "'best_single_value':%d,'value_of_all':%d",
             methods[method], m.x.n, h.value, h.cost, h.bound, h.measured, best, m.best_value, m.all_value);
    show_picks(&m, &h);
    if (opt.json) return;
    if (m.x.n)
        say("\nvalue: expected share of right answers over %z queries, each to the best of the first models\n"
            "best single model  %t, %p; all %z models %p\n",
            m.x.n, best, m.best_value, m.could, m.all_value);
    if (method == BY_VALUE && h.count < k && opt.count) say("further models       would add nothing\n");
    print_bound(&h);
    mention_pictures();
}

static const flag portfolio_flags[] = {
    POOL_FLAGS,
    QUERY_FLAGS("sample queries [n, q_dim]"),
    SCORE_FLAGS(0),
    {"--method", "value|centers|medoids|coverage", CHOICE, AT(method), 0,
     "best chances (default), or spread over the embeddings as in the paper"},
    METRIC_FLAG("cosine; of centers, medoids and coverage"),
    {"--count", "K", COUNT, AT(count), 0, "how many models (default: 5, or what budget and lambda allow)"},
    {"--budget", "B", NUMBER, AT(budget), 0, "on the sum of their costs"},
    {"--lambda", "L", NUMBER, AT(lambda), 0, "price of cost: choose the highest value - L * cost"},
    AVAILABLE_FLAG,
    PICTURE_FLAGS("value by size, with the bound, k-center and k-medoids"),
    JSON_FLAG,
    COMMON_FLAGS};

const command portfolio_command = {
    "portfolio", "Choose a few models that do the work of all.", portfolio_flags, run_portfolio,
    "The value of a set is the mean over the sample queries of the best predicted chance in it. The bound says how "
    "much\n"
    "better any other set within the same limits could be at most.\n\n"
    "Example:\n  locus portfolio --router router.safetensors --encodings q.npy --budget 100 --svg curve.svg\n"};
