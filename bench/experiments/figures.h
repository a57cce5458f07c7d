// SPDX-License-Identifier: MIT
// What is measured, from logits and scores alone: figures per query and in all, quality against cost, and intervals by
// bootstrap over queries. Included by bench/experiments/reproduce.c after baselines.h.
//
// A missing score is unknown, not wrong: a query's candidates, for routing, for the leader and for the oracle alike,
// are the models with a score on it. "Right" is a score above 0.5.
#ifndef LOCUS_BENCH_FIGURES_H
#define LOCUS_BENCH_FIGURES_H

// Sums per query: of the pairs (model, query), and of the choice. A figure of a set of queries is one row's sum over
// another's, so intervals need nothing else.
enum { Q_PAIRS, Q_BRIER, Q_CORRECT, Q_BCE, Q_ROUTED, Q_RIGHT, Q_SCORE, Q_ROWS };
enum { ECE_BINS = 15, BOOT = 1000, BOOT_COSTS = 200, LAMBDAS = 64 };

typedef struct figures {
    double brier, prediction, bce, ece, right, score, oracle_right, oracle_score, pairs, routed;
} figures;

static double sum_of(const float *row, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += (double)row[i];
    return sum;
}

// logits[n, models], y[models, n]. Prediction figures are of the models from `first` on, routing is over all: the
// likeliest, but `usual` (SIZE_MAX: none) where it is a candidate and the likeliest is at most `margin` likelier.
static figures measure(const float *logits, size_t n, size_t models, const float *y, size_t first, size_t usual,
                       double margin, float *rows)
{
    double bin_p[ECE_BINS] = {0}, bin_y[ECE_BINS] = {0};
    figures f = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    memset(rows, 0, (size_t)Q_ROWS * n * sizeof *rows);
    for (size_t i = 0; i < n; i++) {
        size_t best = models;
        double sums[Q_ROWS] = {0}, oracle = 0.0;
        for (size_t m = 0; m < models; m++) {
            const double s = (double)y[m * n + i], x = (double)logits[i * models + m], p = base_sigmoid(x);
            if (isnan(s)) continue;
            if (best == models || logits[i * models + m] > logits[i * models + best]) best = m;
            if (s > oracle) oracle = s;
            if (m < first) continue;
            const size_t bin = p < 1.0 ? (size_t)(p * ECE_BINS) : ECE_BINS - 1;
            bin_p[bin] += p;
            bin_y[bin] += s;
            sums[Q_PAIRS] += 1.0;
            sums[Q_BRIER] += (p - s) * (p - s);
            sums[Q_CORRECT] += (p >= 0.5) == (s > 0.5);
            sums[Q_BCE] += base_softplus(x) - s * x;
        }
        if (best < models) {
            if (usual < models && !isnan(y[usual * n + i]) &&
                base_sigmoid((double)logits[i * models + best]) <=
                    base_sigmoid((double)logits[i * models + usual]) + margin)
                best = usual;
            sums[Q_ROUTED] = 1.0;
            sums[Q_RIGHT] = y[best * n + i] > 0.5f;
            sums[Q_SCORE] = (double)y[best * n + i];
            f.oracle_right += oracle > 0.5;
            f.oracle_score += oracle;
        }
        for (size_t r = 0; r < Q_ROWS; r++) rows[r * n + i] = (float)sums[r];
    }
    f.pairs = sum_of(rows + Q_PAIRS * n, n);
    f.routed = sum_of(rows + Q_ROUTED * n, n);
    f.brier = sum_of(rows + Q_BRIER * n, n) / f.pairs;
    f.prediction = sum_of(rows + Q_CORRECT * n, n) / f.pairs;
    f.bce = sum_of(rows + Q_BCE * n, n) / f.pairs;
    for (size_t b = 0; b < ECE_BINS; b++) f.ece += fabs(bin_p[b] - bin_y[b]) / f.pairs;
    f.right = sum_of(rows + Q_RIGHT * n, n) / f.routed;
    f.score = sum_of(rows + Q_SCORE * n, n) / f.routed;
    f.oracle_right /= f.routed;
    f.oracle_score /= f.routed;
    return f;
}

// ---------------------------------------------------------------------------------------------------------- bootstrap

// weight[count, n] <- how often each query is drawn in each of `count` samples of n queries: the same for the same n,
// so that all methods are measured on the same samples.
static unsigned char *boot_weights(size_t n, size_t count)
{
    unsigned char *weight = (unsigned char *)base_alloc(count * n, 1);
    uint64_t r = 0xB007;
    for (size_t b = 0; b < count; b++)
        for (size_t i = 0; i < n; i++) weight[b * n + base_below(&r, n)]++;
    return weight;
}

typedef struct interval {
    double difference, low, high; // 95 %
} interval;

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void interval_ends(double *samples, size_t count, interval *out)
{
    qsort(samples, count, sizeof *samples, ascending);
    out->low = samples[(size_t)(0.025 * (double)(count - 1) + 0.5)];
    out->high = samples[(size_t)(0.975 * (double)(count - 1) + 0.5)];
}

// Of sum(top) / sum(below) over queries; top: a difference per query, paired by that.
static interval boot_interval(const double *top, const double *below, size_t n, const unsigned char *weight)
{
    static double samples[BOOT];
    interval out = {0.0, 0.0, 0.0};
    double t = 0.0, u = 0.0;
    for (size_t i = 0; i < n; i++) t += top[i], u += below[i];
    out.difference = t / u;
    for (size_t b = 0; b < BOOT; b++) {
        const unsigned char *w = weight + b * n;
        t = u = 0.0;
        for (size_t i = 0; i < n; i++) t += (double)w[i] * top[i], u += (double)w[i] * below[i];
        samples[b] = u > 0.0 ? t / u : out.difference;
    }
    interval_ends(samples, BOOT, &out);
    return out;
}

// -------------------------------------------------------------------------------------------------------------- costs

typedef struct spot { // a point of a frontier
    double cost, quality;
} spot;

static int cheaper_first(const void *a, const void *b)
{
    const spot *x = (const spot *)a, *y = (const spot *)b;
    if (x->cost < y->cost) return -1;
    if (x->cost > y->cost) return 1;
    return (x->quality < y->quality) - (x->quality > y->quality);
}

// RouterBench's AIQ (arXiv 2403.12031): the area under the non-decreasing concave hull of quality against cost between
// costs c0 and c1, over c1 - c0. Sorts the points. Left of the cheapest point there is nothing.
static double aiq(spot *points, size_t count, double c0, double c1)
{
    size_t hull = 0;
    double area = 0.0;
    qsort(points, count, sizeof *points, cheaper_first);
    for (size_t i = 0; i < count; i++) {
        if (hull && points[i].quality <= points[hull - 1].quality) continue; // dearer and no better
        while (hull > 1 &&
               (points[hull - 1].quality - points[hull - 2].quality) * (points[i].cost - points[hull - 2].cost) <=
                   (points[i].quality - points[hull - 2].quality) * (points[hull - 1].cost - points[hull - 2].cost))
            hull--;
        points[hull++] = points[i];
    }
    for (size_t i = 0; i < hull; i++) {
        const spot a = points[i], b = i + 1 < hull ? points[i + 1] : (spot){c1 > a.cost ? c1 : a.cost, a.quality};
        const double from = a.cost > c0 ? a.cost : c0, to = b.cost < c1 ? b.cost : c1;
        const double slope = b.cost > a.cost ? (b.quality - a.quality) / (b.cost - a.cost) : 0.0;
        if (to > from) area += (to - from) * (a.quality + slope * (0.5 * (from + to) - a.cost));
    }
    return area / (c1 - c0);
}

// out[0]: the router's AIQ, out[1]: that of the single models; then the same on each of BOOT_COSTS samples. The choice
// is the greatest p - lambda * cost, over a range of lambda. Only models with a cost and a score on every query take
// part: what a single model costs and is worth must be known on the same queries. Returns how many; under 2: no AIQ.
static size_t measure_costs(const float *logits, size_t n, size_t models, const float *y, const float *cost,
                            double *out)
{
    const size_t rows = models + LAMBDAS;
    size_t *open = (size_t *)base_alloc(models, sizeof *open), count = 0;
    float *quality = base_floats(rows * n), *price = base_floats(rows * n); // single models, then lambdas
    unsigned char *weight = boot_weights(n, BOOT_COSTS);
    double cheap = 1e300, dear = 0.0;
    for (size_t m = 0; m < models; m++) {
        int whole = 1;
        double sum = 0.0;
        for (size_t i = 0; i < n && whole; i++) {
            whole = !isnan(y[m * n + i]) && !isnan(cost[m * n + i]);
            sum += (double)cost[m * n + i];
        }
        if (!whole) continue;
        memcpy(quality + count * n, y + m * n, n * sizeof *quality);
        memcpy(price + count * n, cost + m * n, n * sizeof *price);
        open[count++] = m;
        if (sum / (double)n < cheap) cheap = sum / (double)n;
        if (sum / (double)n > dear) dear = sum / (double)n;
    }
    for (size_t l = 0; l < LAMBDAS && count > 1; l++) { // from "quality alone" to "cost alone"
        const double lambda = l == 0 ? 0.0 : pow(10.0, -3.0 + 8.0 * (double)l / (LAMBDAS - 1)) / (dear - cheap);
        for (size_t i = 0; i < n; i++) {
            size_t best = 0;
            double worth = -1e300;
            for (size_t k = 0; k < count; k++) {
                const double v = base_sigmoid((double)logits[i * models + open[k]]) - lambda * (double)price[k * n + i];
                if (v > worth) worth = v, best = k;
            }
            quality[(count + l) * n + i] = quality[best * n + i];
            price[(count + l) * n + i] = price[best * n + i];
        }
    }
    for (size_t b = 0; b <= BOOT_COSTS && count > 1; b++) {
        const unsigned char *w = b ? weight + (b - 1) * n : NULL;
        spot *points = (spot *)base_alloc(count + LAMBDAS, sizeof *points);
        cheap = 1e300, dear = 0.0;
        for (size_t r = 0; r < count + LAMBDAS; r++) {
            double q = 0.0, c = 0.0;
            for (size_t i = 0; i < n; i++) {
                const double times = w ? (double)w[i] : 1.0;
                q += times * (double)quality[r * n + i];
                c += times * (double)price[r * n + i];
            }
            points[r].quality = q / (double)n;
            points[r].cost = c / (double)n;
            if (r < count && points[r].cost < cheap) cheap = points[r].cost;
            if (r < count && points[r].cost > dear) dear = points[r].cost;
        }
        out[2 * b] = aiq(points + count, LAMBDAS, cheap, dear);
        out[2 * b + 1] = aiq(points, count, cheap, dear);
        free(points);
    }
    free(open), free(quality), free(price), free(weight);
    return count;
}

// ----------------------------------------------------------------------------------------------------------- selftest

static int expect(const char *what, double found, double wanted)
{
    if (fabs(found - wanted) < 1e-6) return 0;
    fprintf(stderr, "FAIL %s: expected %.6f, found %.6f\n", what, wanted, found);
    return 1;
}

// Small cases worked out by hand.
static int figures_selftest(void)
{
    // Two models, three queries; the second has no score on the first query, nobody on the third.
    const float y[] = {1.0f, 0.0f, NAN, NAN, 0.6f, NAN}, logits[] = {0.0f, 9.0f, 0.0f, -9.0f, 0.0f, 0.0f};
    const float near = (float)base_sigmoid(-9.0), c1[] = {1.0f, 1.0f, 3.0f, 3.0f};
    float rows[Q_ROWS * 3];
    int failures = 0;
    figures f = measure(logits, 3, 2, y, 0, SIZE_MAX, 0.0, rows);
    failures += expect("pairs", f.pairs, 3.0);
    failures += expect("Brier", f.brier, (0.25 + 0.25 + pow(0.6 - (double)near, 2.0)) / 3.0);
    failures += expect("prediction", f.prediction, 1.0 / 3.0);
    failures += expect("routed", f.routed, 2.0);
    failures += expect("right", f.right, 0.5); // not 0: the missing cell is no candidate
    failures += expect("score", f.score, 0.5);
    failures += expect("oracle, right", f.oracle_right, 1.0);
    failures += expect("oracle, score", f.oracle_score, 0.8);
    failures += expect("calibration error", f.ece, (fabs(0.5 + 0.5 - 1.0) + 0.6 - (double)near) / 3.0);
    f = measure(logits, 3, 2, y, 1, SIZE_MAX, 0.0, rows);
    failures += expect("pairs of the second", f.pairs, 1.0);
    failures += expect("routing over all", f.right, 0.5);
    // The second model unless the first is .4 likelier: no candidate on the first query, .5 behind on the second.
    f = measure(logits, 3, 2, y, 0, 1, 0.4, rows);
    failures += expect("guarded, margin too small", f.right, 0.5);
    f = measure(logits, 3, 2, y, 0, 1, 0.6, rows);
    failures += expect("guarded", f.right, 1.0);
    {
        // The hull of (1, .2) (2, .2) (3, .8) (4, .5) (5, .9) (6, .85): straight to 3, to 5, then flat. From 1 to 7.
        spot p[] = {{5.0, 0.9}, {1.0, 0.2}, {4.0, 0.5}, {3.0, 0.8}, {2.0, 0.2}, {6.0, 0.85}};
        failures += expect("AIQ", aiq(p, 6, 1.0, 7.0), (2.0 * 0.5 + 2.0 * 0.85 + 2.0 * 0.9) / 6.0);
    }
    {
        // The cheap model is right on the first query, the dear one on the second; who knows pays 1 and 2.
        static double out[2 * (1 + BOOT_COSTS)];
        const float truth[] = {1.0f, 0.0f, 0.0f, 1.0f}, wise[] = {5.0f, -5.0f, -5.0f, 5.0f};
        failures += expect("models with costs", (double)measure_costs(wise, 2, 2, truth, c1, out), 2.0);
        failures += expect("AIQ of single models", out[1], 0.5); // .5 for 1, .5 for 3
        // 0.5 for 1, everything for 2: halfway a straight line, then flat
        failures += expect("AIQ of a router", out[0], 0.5 * 0.75 + 0.5 * 1.0);
    }
    {
        // A difference that is 1 on every query has no spread; one of mean 0 holds 0.
        enum { N = 400 };
        double top[N], below[N];
        unsigned char *weight = boot_weights(N, BOOT);
        interval i;
        uint64_t r = 3;
        for (size_t k = 0; k < N; k++) top[k] = below[k] = 1.0;
        i = boot_interval(top, below, N, weight);
        failures += expect("interval of a constant", i.high - i.low, 0.0) + expect("its mean", i.difference, 1.0);
        for (size_t k = 0; k < N; k++) top[k] = (double)base_normal(&r);
        i = boot_interval(top, below, N, weight);
        // 95 % of a mean of 400 unit normals: 4 * 0.98 / 20 wide, up to the sample's own deviation
        failures += expect("interval holds its estimate", i.low < i.difference && i.difference < i.high, 1.0);
        failures += expect("width of an interval", fabs(i.high - i.low - 0.196) < 0.03, 1.0);
        free(weight);
    }
    return failures;
}

#endif
