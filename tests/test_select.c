// SPDX-License-Identifier: MIT
// Tests of what chooses and compares: portfolios by value against all subsets and a greedy without shortcuts,
// comparisons against direct formulas, Student's quantiles against scipy's; quality
// against money: hulls and AIQ against all mixes, frontiers by hand and against their definitions, paired intervals.
//
//     cc -O2 tests/test_select.c -o build/test_select -lm -lpthread && build/test_select [part of a test's name]
//
// LOCUS_TEST_QUICK=1: fewer and smaller cases. LOCUS_TEST_SEED: another seed for the random cases.

#define TEST_FILE "test_select.c"
#define TEST_INSIDE
#include "harness.h"

// ---------------------------------------------------------------------------------------------------- portfolios

enum { MOST = 6000 };

typedef struct problem {
    float *rows;
    size_t M, Q, stride;
    float *cost, *weight;
    unsigned char *available, *required;
    locus_portfolio_opts o;
    locus_run run;
} problem;

static size_t below(ref_rng *g, size_t n) { return (size_t)(ref_uniform(g) * (double)n); }

// kind 0: any numbers; 1: multiples of 1/16, costs of 1/4 and weights that add up to a power of two, so that ties are
// many and all arithmetic is exact.
static void problem_make(problem *p, size_t M, size_t Q, int kind, uint64_t seed)
{
    ref_rng g;
    size_t m, q;
    ZERO(*p);
    g.state = seed * 7919 + g_seed;
    p->M = M;
    p->Q = Q;
    p->stride = Q + 3;
    p->rows = floats(M * p->stride);
    p->cost = floats(M);
    p->weight = floats(Q);
    p->available = (unsigned char *)xmalloc(M);
    p->required = (unsigned char *)xmalloc(M);
    for (m = 0; m < M; m++) {
        const double skill = ref_uniform(&g);
        for (q = 0; q < p->stride; q++) {
            double x = 0.3 * skill + 0.7 * pow(ref_uniform(&g), 3.0);
            if (below(&g, 12) == 0) x = 0.0;
            if (kind) x = floor(16.0 * x) / 16.0;
            p->rows[m * p->stride + q] = q < Q ? (float)x : f_nan(); // what lies between rows is not looked at
        }
        if (m && below(&g, 8) == 0)
            memcpy(p->rows + m * p->stride, p->rows + below(&g, m) * p->stride, Q * sizeof(float));
        p->cost[m] = kind ? (float)below(&g, 12) / 4.0f : (float)(3.0 * ref_uniform(&g));
        p->available[m] = below(&g, 6) != 0;
        p->required[m] = below(&g, 7) == 0;
    }
    for (q = 0; q < Q; q++) p->weight[q] = kind ? (float)(q % 4 == 3 ? 0 : q % 4 == 2 ? 2 : 1) : (float)ref_uniform(&g);
}

static void problem_free(problem *p)
{
    free(p->rows), free(p->cost), free(p->weight), free(p->available), free(p->required);
}

// Some of the options at random.
static void problem_options(problem *p, ref_rng *g)
{
    double all = 0.0;
    size_t m;
    ZERO(p->o);
    for (m = 0; m < p->M; m++) all += (double)p->cost[m];
    if (below(g, 3)) p->o.count = 1 + below(g, 5);
    if (below(g, 2)) p->o.budget = floor(4.0 * all * (0.05 + 0.5 * ref_uniform(g))) / 4.0;
    if (below(g, 3) == 0) p->o.lambda = (double)below(g, 9) / 64.0;
    if (below(g, 2) || p->o.budget > 0.0 || p->o.lambda > 0.0) p->o.cost = p->cost;
    if (below(g, 2)) p->o.weight = p->weight;
    if (below(g, 2)) p->o.available = p->available;
    if (below(g, 3) == 0) p->o.required = p->required;
}

static double value_of_set(const problem *p, const unsigned char *in)
{
    double sum = 0.0, mass = 0.0;
    size_t m, q;
    for (q = 0; q < p->Q; q++) {
        const double w = p->o.weight ? (double)p->o.weight[q] : 1.0;
        double best = 0.0;
        for (m = 0; m < p->M; m++)
            if (in[m] && (double)p->rows[m * p->stride + q] > best) best = (double)p->rows[m * p->stride + q];
        sum += w * best;
        mass += w;
    }
    return sum / mass;
}

static double price(const problem *p, size_t m) { return p->o.cost ? (double)p->o.cost[m] : 0.0; }
static int is_required(const problem *p, size_t m) { return p->o.required && p->o.required[m]; }
static int may(const problem *p, size_t m) { return is_required(p, m) || !p->o.available || p->o.available[m]; }

// Is it within the limits? *net <- value - lambda * cost
static int judge(const problem *p, const unsigned char *in, double *net)
{
    double cost = 0.0;
    size_t m, n = 0;
    for (m = 0; m < p->M; m++) {
        if (is_required(p, m) && !in[m]) return 0;
        if (!in[m]) continue;
        if (!may(p, m)) return 0;
        n++;
        cost += price(p, m);
    }
    if ((p->o.count && n > p->o.count) || (p->o.budget > 0.0 && cost > p->o.budget + 1e-12)) return 0;
    *net = value_of_set(p, in) - p->o.lambda * cost;
    return 1;
}

// The best of all subsets; -1: none is within the limits.
static double brute_force(const problem *p)
{
    unsigned char in[16];
    double best = -1.0, net;
    size_t s, m;
    for (s = 0; s < (size_t)1 << p->M; s++) {
        for (m = 0; m < p->M; m++) in[m] = (unsigned char)(s >> m & 1);
        if (judge(p, in, &net) && net > best) best = net;
    }
    return best;
}

static locus_points points_of(const problem *p)
{
    locus_points r;
    ZERO(r);
    r.rows = p->rows;
    r.count = p->M;
    r.dim = p->Q;
    r.stride = p->stride;
    return r;
}

static locus_status choose(const problem *p, size_t *picks, double *values, locus_portfolio *out)
{
    const locus_points rows = points_of(p);
    locus_run run = p->run;
    locus_status s;
    room_open(&run, 0);
    do s = locus_portfolio_choose(&rows, &p->o, picks, values, out, &run, &g_err);
    while (room_again(__LINE__, &run, s));
    return s;
}

// What is reported is true, and the set is within the limits: its flags.
static void check_answer(const problem *p, const size_t *picks, const double *values, const locus_portfolio *out,
                         unsigned char *in)
{
    double net = 0.0, cost = 0.0;
    size_t i;
    memset(in, 0, p->M);
    for (i = 0; i < out->count; i++) {
        if (!CHECK(picks[i] < p->M)) return;
        CHECK(!in[picks[i]]);
        in[picks[i]] = 1;
        cost += price(p, picks[i]);
        CHECK_NEAR(value_of_set(p, in), values[i], 1e-11);
    }
    CHECK(judge(p, in, &net));
    CHECK_NEAR(cost, out->cost, 1e-12);
    CHECK_NEAR(value_of_set(p, in), out->value, 1e-11);
    CHECK(out->bound >= out->value - p->o.lambda * out->cost);
}

// No model in, out or exchanged is better: 1 if so.
static int locally_best(const problem *p, const unsigned char *in, double net)
{
    unsigned char other[64];
    double found;
    size_t a, b;
    for (a = 0; a <= p->M; a++)
        for (b = 0; b <= p->M; b++) {
            memcpy(other, in, p->M);
            if (a < p->M) other[a] = 1;
            if (b < p->M) other[b] = 0;
            if (judge(p, other, &found) && found > net + 1e-10) return 0;
        }
    return 1;
}

static void portfolios_come_near_the_best_of_all_subsets(void)
{
    size_t trial, exact = 0, solved = 0, proven = 0;
    double gap = 0.0;
    for (trial = 0; trial < trials(1500); trial++) {
        problem p;
        ref_rng g;
        locus_portfolio out;
        size_t picks[16], m, required = 0;
        double values[16], best, net, fixed = 0.0;
        unsigned char in[16];
        locus_status s;
        g.state = trial + 5 + g_seed;
        problem_make(&p, 1 + below(&g, 10), 1 + below(&g, 14), trial % 2, trial);
        if (p.Q > 2) p.weight[0] = 1.0f;
        problem_options(&p, &g);
        if (trial % 50 == 0) memset(p.rows, 0, p.M * p.stride * sizeof(float));
        if (p.Q <= 2) p.o.weight = NULL;
        context("trial %zu: M %zu, Q %zu, count %zu, budget %g, lambda %g", trial, p.M, p.Q, p.o.count, p.o.budget,
                p.o.lambda);
        for (m = 0; m < p.M; m++)
            if (is_required(&p, m)) required++, fixed += price(&p, m);
        best = brute_force(&p);
        s = choose(&p, picks, values, &out);
        if ((p.o.count && required > p.o.count) || (p.o.budget > 0.0 && fixed > p.o.budget)) {
            CHECK_GOT(LOCUS_ERR_BUDGET, s);
        } else if (s == LOCUS_ERR_NO_CANDIDATE) {
            for (m = 0; m < p.M; m++)
                CHECK(!is_required(&p, m) && (!may(&p, m) || (p.o.budget > 0.0 && price(&p, m) > p.o.budget)));
        } else if (CHECK_GOT(LOCUS_OK, s)) {
            check_answer(&p, picks, values, &out, in);
            net = out.value - p.o.lambda * out.cost;
            CHECK(net <= best + 1e-11);
            CHECK(out.bound >= best - 1e-11);
            CHECK(locally_best(&p, in, net));
            if (!required && p.o.budget <= 0.0 && p.o.lambda <= 0.0) CHECK(net >= 0.632 * best);
            if (p.o.count == 1 && p.o.budget <= 0.0) CHECK_NEAR(net, out.bound, 1e-11);
            solved++;
            exact += net >= best - 1e-11;
            proven += out.bound <= net + 1e-9;
            gap += out.bound - best;
        }
        problem_free(&p);
    }
    context("%zu of %zu exact, %zu proven, mean gap %g", exact, solved, proven, gap / (double)solved);
    CHECK(solved > trials(1500) / 2);
    CHECK(100 * exact >= 98 * solved);
    CHECK(100 * proven >= 40 * solved);
    CHECK(gap <= 0.015 * (double)solved);
    if (getenv("LOCUS_TEST_VERBOSE")) printf("  %s\n", g_context);
}

// Larger pools, where neither greedy nor the bound's sets find the best by themselves; half of them with a price.
static void portfolios_cannot_be_improved_by_one_exchange(void)
{
    size_t trial;
    for (trial = 0; trial < trials(60); trial++) {
        problem p;
        ref_rng g;
        locus_portfolio out;
        size_t picks[50];
        double values[50];
        unsigned char in[50];
        locus_status s;
        g.state = trial + 41 + g_seed;
        problem_make(&p, 50, 24, trial % 4 == 3, trial + 4000);
        problem_options(&p, &g);
        if (trial % 2) p.o.cost = p.cost, p.o.lambda = 0.002 * (double)(1 + trial % 9);
        context("trial %zu: count %zu, budget %g, lambda %g", trial, p.o.count, p.o.budget, p.o.lambda);
        s = choose(&p, picks, values, &out);
        if (s != LOCUS_ERR_BUDGET && CHECK_GOT(LOCUS_OK, s)) {
            check_answer(&p, picks, values, &out, in);
            CHECK(locally_best(&p, in, out.value - p.o.lambda * out.cost));
        }
        problem_free(&p);
    }
}

// From the poorest set there is, by exchanges alone: small pools are mostly solved before these begin.
static void exchanges_lead_to_a_set_that_none_improves(void)
{
    size_t trial, moved = 0;
    for (trial = 0; trial < trials(60); trial++) {
        problem p;
        locusi_portfolio_job j;
        locusi_work w;
        unsigned char in[50];
        double net = 0.0, before = 0.0;
        size_t i, k;
        problem_make(&p, 50, 24, 0, trial + 9000);
        ZERO(p.o);
        p.o.count = 2 + trial % 6;
        p.o.weight = p.weight;
        p.o.cost = p.cost;
        if (trial % 2) p.o.lambda = 0.004 * (double)(1 + trial % 5);
        context("trial %zu: count %zu, lambda %g", trial, p.o.count, p.o.lambda);
        ZERO(j);
        j.o = &p.o;
        j.rows = p.rows, j.models = p.M, j.queries = p.Q, j.stride = p.stride, j.limit = p.o.count;
        locusi_work_begin(&w, NULL);
        CHECK_STATUS(LOCUS_OK, locusi_portfolio_take(&j, &w, &g_err));
        j.k = locusi_kernels_for(LOCUS_ISA_SCALAR);
        j.budget = DBL_MAX;
        CHECK_STATUS(LOCUS_OK, locusi_portfolio_prepare(&j, &g_err));
        j.total = 1;
        memset(in, 0, sizeof in);
        for (k = 0; k < p.o.count; k++) { // those of least value less price, one by one
            size_t worst = SIZE_MAX;
            double least = 0.0;
            for (i = 0; i < p.M; i++) {
                double alone;
                unsigned char one[50] = {0};
                one[i] = 1;
                if (in[i] || !judge(&p, one, &alone)) continue;
                if (worst == SIZE_MAX || alone < least) worst = i, least = alone;
            }
            j.set[k] = worst;
            in[worst] = 1;
        }
        j.count = p.o.count;
        CHECK(judge(&p, in, &before));
        CHECK_STATUS(LOCUS_OK, locusi_swaps(&j, &g_err));
        memset(in, 0, sizeof in);
        for (i = 0; i < j.count; i++) in[j.set[i]] = 1;
        CHECK(judge(&p, in, &net));
        CHECK(locally_best(&p, in, net));
        moved += net > before;
        locusi_work_end(&w);
        problem_free(&p);
    }
    CHECK(moved * 10 >= trials(60) * 9);
}

// Greedy with every gain computed anew, by net gain or net gain per cost.
static double plain_greedy(const problem *p, int by_density, size_t *picks, size_t *count)
{
    unsigned char *in = (unsigned char *)xmalloc(p->M);
    double *best = (double *)xmalloc(p->Q * sizeof(double)), spent = 0.0, mass = 0.0, value = 0.0, net;
    size_t m, q, n = 0, limit = p->o.count ? p->o.count : p->M;
    memset(in, 0, p->M);
    for (q = 0; q < p->Q; q++) mass += p->o.weight ? (double)p->o.weight[q] : 1.0, best[q] = 0.0;
    for (m = 0;; m++) {
        size_t pick = SIZE_MAX;
        double top = 0.0, top_net = 0.0;
        if (m < p->M) { // the required first
            if (!is_required(p, m)) continue;
            pick = m;
        } else if (n < limit) {
            size_t i;
            for (i = 0; i < p->M; i++) {
                double gain = 0.0, key;
                if (in[i] || !may(p, i) || (p->o.budget > 0.0 && spent + price(p, i) > p->o.budget)) continue;
                for (q = 0; q < p->Q; q++) {
                    const double x = (double)p->rows[i * p->stride + q];
                    if (x > best[q]) gain += (p->o.weight ? (double)p->o.weight[q] : 1.0) * (x - best[q]);
                }
                gain = gain / mass - p->o.lambda * price(p, i);
                if (!(gain > 0.0)) continue;
                key = !by_density ? gain : price(p, i) > 0.0 ? gain / price(p, i) : DBL_MAX;
                if (pick != SIZE_MAX && (key < top || (!(key > top) && gain <= top_net))) continue;
                pick = i;
                top = key;
                top_net = gain;
            }
        }
        if (pick == SIZE_MAX) break;
        in[pick] = 1;
        picks[n++] = pick;
        spent += price(p, pick);
        for (q = 0; q < p->Q; q++)
            if ((double)p->rows[pick * p->stride + q] > best[q]) best[q] = (double)p->rows[pick * p->stride + q];
    }
    for (q = 0; q < p->Q; q++) value += (p->o.weight ? (double)p->o.weight[q] : 1.0) * best[q];
    net = value / mass - p->o.lambda * spent;
    *count = n;
    free(in), free(best);
    return net;
}

static void lazy_greedy_picks_what_plain_greedy_picks(void)
{
    static size_t picks[MOST], by_gain[MOST], by_density[MOST];
    static double values[MOST];
    size_t trial;
    for (trial = 0; trial < trials(60); trial++) {
        problem p;
        ref_rng g;
        locus_portfolio out;
        size_t gains, densities, i, sizes[] = {40, 300, 5000};
        double a, b;
        locus_status s;
        g.state = trial + 17 + g_seed;
        problem_make(&p, sizes[trial % 10 == 9 ? 2 : trial % 2], trial % 3 == 0 ? 128 : 16, 1, trial + 99);
        problem_options(&p, &g);
        p.o.required = p.M == 40 ? p.o.required : NULL;
        p.o.budget = p.o.budget > 4.0 && p.M > 40 ? 4.25 : p.o.budget;
        p.o.greedy_only = 1;
        context("trial %zu: M %zu, count %zu, budget %g, lambda %g", trial, p.M, p.o.count, p.o.budget, p.o.lambda);
        s = choose(&p, picks, values, &out);
        if (s != LOCUS_ERR_BUDGET && CHECK_GOT(LOCUS_OK, s)) {
            size_t *expected = by_gain, count;
            a = plain_greedy(&p, 0, by_gain, &gains);
            b = plain_greedy(&p, 1, by_density, &densities);
            count = gains;
            if ((p.o.budget > 0.0 || p.o.lambda > 0.0) && b > a) expected = by_density, count = densities;
            if (CHECK_SIZE(count, out.count))
                for (i = 0; i < count; i++) CHECK_SIZE(expected[i], picks[i]);
        }
        problem_free(&p);
    }
}

static void greedy_answers_are_nested_and_gains_shrink(void)
{
    problem p;
    size_t full[40], picks[40], k, i;
    double values[40];
    locus_portfolio out;
    problem_make(&p, 200, 100, 0, 4);
    p.o.greedy_only = 1;
    p.o.count = 40;
    CHECK_STATUS(LOCUS_OK, choose(&p, full, values, &out));
    CHECK_SIZE(40, out.count);
    for (i = 1; i < out.count; i++) {
        CHECK(values[i] > values[i - 1]);
        if (i > 1) CHECK(values[i] - values[i - 1] <= values[i - 1] - values[i - 2] + 1e-12);
    }
    CHECK(values[1] - values[0] <= values[0] + 1e-12);
    for (k = 1; k < 40; k += 5) {
        double same[40];
        p.o.count = k;
        CHECK_STATUS(LOCUS_OK, choose(&p, picks, same, &out));
        CHECK_SIZE(k, out.count);
        CHECK(memcmp(picks, full, k * sizeof *picks) == 0 && memcmp(values, same, k * sizeof *values) == 0);
    }
    problem_free(&p);
}

// f(A) + f(B) >= f(A and B) + f(A or B), f(A) <= f(A or B): to the last bit of the sums, so 1e-15.
static void values_are_monotone_and_submodular(void)
{
    size_t trial;
    problem p;
    problem_make(&p, 12, 37, 0, 8);
    p.o.weight = p.weight;
    p.o.required = p.required;
    for (trial = 0; trial < trials(200); trial++) {
        ref_rng g;
        double f[4];
        size_t s, m, a, b, picks[12];
        locus_portfolio out;
        g.state = trial + 3 + g_seed;
        a = 1 + below(&g, 4095);
        b = 1 + below(&g, 4095);
        for (s = 0; s < 4; s++) {
            const size_t set = s == 0 ? a : s == 1 ? b : s == 2 ? (a & b) : (a | b);
            f[s] = 0.0;
            p.o.count = 0;
            for (m = 0; m < 12; m++) p.required[m] = (unsigned char)(set >> m & 1), p.o.count += set >> m & 1;
            if (p.o.count == 0) continue;
            CHECK_STATUS(LOCUS_OK, choose(&p, picks, NULL, &out));
            CHECK_SIZE(p.o.count, out.count);
            CHECK_NEAR(out.value, out.bound, 1e-15); // nothing to choose
            f[s] = out.value;
        }
        CHECK(f[0] + f[1] >= f[2] + f[3] - 1e-15);
        CHECK(f[0] <= f[3] && f[1] <= f[3] && f[2] <= f[0]);
    }
    problem_free(&p);
}

static void portfolios_do_not_depend_on_the_order_of_models(void)
{
    size_t trial;
    for (trial = 0; trial < trials(30); trial++) {
        problem p, s;
        ref_rng g;
        locus_portfolio a, b;
        size_t picks[60], other[60], to[60], i, m;
        double va[60], vb[60];
        g.state = trial + 31 + g_seed;
        problem_make(&p, 60, 30, 0, trial + 500);
        for (m = 0; m < 60; m++) // no two rows alike
            for (i = 0; i < 30; i++) p.rows[m * p.stride + i] = (float)pow(ref_uniform(&g), 2.0);
        problem_make(&s, 60, 30, 0, trial + 500);
        problem_options(&p, &g);
        p.o.required = NULL;
        for (m = 0; m < 60; m++) to[m] = m;
        for (m = 59; m > 0; m--) {
            const size_t with = below(&g, m + 1), t = to[m];
            to[m] = to[with];
            to[with] = t;
        }
        for (m = 0; m < 60; m++) {
            memcpy(s.rows + to[m] * s.stride, p.rows + m * p.stride, p.stride * sizeof(float));
            s.cost[to[m]] = p.cost[m];
            s.available[to[m]] = p.available[m];
        }
        s.o = p.o;
        s.o.cost = p.o.cost ? s.cost : NULL;
        s.o.available = p.o.available ? s.available : NULL;
        CHECK_STATUS(LOCUS_OK, choose(&p, picks, va, &a));
        CHECK_STATUS(LOCUS_OK, choose(&s, other, vb, &b));
        CHECK_SIZE(a.count, b.count);
        for (i = 0; i < a.count && i < b.count; i++) CHECK_SIZE(to[picks[i]], other[i]);
        CHECK_NEAR(a.value, b.value, 0.0);
        CHECK_NEAR(a.bound, b.bound, 1e-9);
        problem_free(&p);
        problem_free(&s);
    }
}

static void ties_go_to_the_lower_index(void)
{
    problem p;
    size_t picks[30], m, i;
    double values[30];
    locus_portfolio out;
    problem_make(&p, 30, 20, 0, 3);
    for (m = 0; m < 10; m++) // three copies of each
        for (i = 1; i < 3; i++)
            memcpy(p.rows + (m + 10 * i) * p.stride, p.rows + m * p.stride, p.stride * sizeof(float));
    for (i = 0; i < 2; i++) {
        p.o.greedy_only = (int)i;
        for (p.o.count = 0; p.o.count < 12; p.o.count++) {
            CHECK_STATUS(LOCUS_OK, choose(&p, picks, values, &out));
            for (m = 0; m < out.count; m++) CHECK(picks[m] < 10);
        }
    }
    problem_free(&p);
}

static void portfolios_do_not_depend_on_threads_or_instruction_sets(void)
{
    problem p;
    size_t picks[400], first[400], kind, set;
    double values[400], same[400];
    locus_portfolio out, expected;
    int isa;
    problem_make(&p, 400, 333, 0, 77);
    for (set = 0; set < 3; set++) {
        ZERO(p.o);
        p.o.count = 15;
        p.o.cost = p.cost;
        p.o.weight = p.weight;
        p.o.budget = set == 1 ? 9.0 : 0.0;
        p.o.lambda = set == 2 ? 0.01 : 0.0;
        memset(first, 0, sizeof first);
        memset(values, 0, sizeof values);
        CHECK_STATUS(LOCUS_OK, choose(&p, first, values, &expected));
        for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
            if (!locus_isa_supported((locus_isa)isa)) continue;
            for (kind = 0; kind < THREAD_KINDS; kind++) {
                p.run.isa = (locus_isa)isa;
                p.run.parallel = parallel_of(kind);
                context("set %zu, %s, threads %zu", set, locus_isa_name((locus_isa)isa), kind);
                memset(picks, 0, sizeof picks);
                memset(same, 0, sizeof same);
                CHECK_STATUS(LOCUS_OK, choose(&p, picks, same, &out));
                CHECK(memcmp(&out, &expected, sizeof out) == 0);
                CHECK(memcmp(picks, first, sizeof picks) == 0 && memcmp(same, values, sizeof same) == 0);
            }
        }
    }
    problem_free(&p);
}

static void sums_are_exact_for_every_instruction_set(void)
{
    float p[70], best[70];
    double w[70];
    size_t n, i, round;
    ref_rng g;
    int isa;
    g.state = g_seed;
    for (round = 0; round < 20; round++)
        for (n = 0; n <= 70; n++) {
            int64_t expected = 0;
            for (i = 0; i < n; i++) {
                p[i] = round == 0 ? 0.5f : (float)pow(ref_uniform(&g), (double)round);
                best[i] = round == 0 ? -0.0f : (float)ref_uniform(&g) * (float)(round % 3);
                best[i] = best[i] > 1.0f ? 1.0f : best[i];
                w[i] = ldexp((double)(float)ref_uniform(&g), 44);
                if (round == 0) w[i] = (double)(2 * i + 1); // p w lies half-way between integers
                expected += (int64_t)nearbyint((double)(p[i] > best[i] ? p[i] : best[i]) * w[i]);
            }
            for (isa = 1; isa < LOCUS_ISA_COUNT; isa++)
                if (locus_isa_supported((locus_isa)isa)) {
                    context("%s, n %zu, round %zu", locus_isa_name((locus_isa)isa), n, round);
                    CHECK(locusi_kernels_for((locus_isa)isa)->cover(p, best, w, n) == expected);
                }
        }
}

static size_t g_calls, g_stop_at, g_last;
static int stop_at(void *user, size_t done, size_t total)
{
    (void)user;
    if (done > total || done < g_last) failure(__LINE__, "progress %zu of %zu after %zu", done, total, g_last);
    g_last = done;
    return ++g_calls == g_stop_at;
}

static void portfolios_can_be_cancelled(void)
{
    problem p;
    size_t picks[50], calls;
    double values[50];
    locus_portfolio out;
    problem_make(&p, 50, 40, 0, 5);
    p.o.count = 5;
    p.o.cost = p.cost;
    p.o.budget = 5.0;
    p.run.progress = stop_at;
    g_calls = g_stop_at = g_last = 0;
    CHECK_STATUS(LOCUS_OK, choose(&p, picks, values, &out));
    calls = g_calls;
    CHECK(calls > 10);
    for (g_stop_at = 1; g_stop_at <= calls; g_stop_at += 1 + calls / 20) {
        g_calls = g_last = 0;
        CHECK_STATUS(LOCUS_ERR_CANCELLED, choose(&p, picks, values, &out));
        CHECK_SIZE(g_stop_at, g_calls);
    }
    problem_free(&p);
}

static void bad_portfolio_arguments_are_refused(void)
{
    problem p;
    size_t picks[10], i;
    double values[10];
    locus_portfolio out;
    locus_points rows, bad;
    const int odd = 99;
    problem_make(&p, 10, 8, 0, 6);
    memset(p.required, 0, 10);
    memset(p.available, 1, 10);
    rows = points_of(&p);
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_portfolio_choose(NULL, NULL, picks, NULL, &out, NULL, &g_err));
    CHECK_MESSAGE("profiles");
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_portfolio_choose(&rows, NULL, NULL, NULL, &out, NULL, &g_err));
    CHECK_MESSAGE("picks");
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_portfolio_choose(&rows, NULL, picks, NULL, NULL, NULL, &g_err));
    CHECK_MESSAGE("out");
#define POINTS(change, part)                                                                                           \
    bad = rows;                                                                                                        \
    change;                                                                                                            \
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_portfolio_choose(&bad, NULL, picks, NULL, &out, NULL, &g_err));             \
    CHECK_MESSAGE(part);
    POINTS(bad.dim = 0, "profiles.dim")
    POINTS(bad.rows = NULL, "profiles.rows")
    POINTS(bad.stride = 7, "profiles.stride")
    bad = rows, bad.count = 0, bad.rows = NULL;
    CHECK_STATUS(LOCUS_ERR_NO_CANDIDATE, locus_portfolio_choose(&bad, NULL, picks, NULL, &out, NULL, &g_err));
#define OPTION(status, change, part)                                                                                   \
    ZERO(p.o);                                                                                                         \
    change;                                                                                                            \
    CHECK_STATUS(status, choose(&p, picks, values, &out));                                                             \
    CHECK_MESSAGE(part);
    for (i = 0; i < 3; i++) {
        const double no[] = {-1.0, NAN, INFINITY};
        const float was = p.cost[3], weight = p.weight[2];
        OPTION(LOCUS_ERR_ARGUMENT, (p.o.cost = p.cost, p.o.budget = no[i]), "budget")
        OPTION(LOCUS_ERR_ARGUMENT, (p.o.cost = p.cost, p.o.lambda = no[i]), "lambda")
        OPTION(LOCUS_ERR_ARGUMENT, (p.o.cost = p.cost, p.cost[3] = (float)no[i]), "cost[3]")
        p.cost[3] = was;
        OPTION(LOCUS_ERR_ARGUMENT, (p.o.weight = p.weight, p.weight[2] = (float)no[i]), "weight[2]")
        p.weight[2] = weight;
    }
    OPTION(LOCUS_ERR_ARGUMENT, p.o.budget = 1.0, "cost")
    OPTION(LOCUS_ERR_ARGUMENT, p.o.lambda = 1.0, "cost")
    OPTION(LOCUS_ERR_ISA, memcpy(&p.run.isa, &odd, sizeof p.run.isa), "isa")
    ZERO(p.run);
    for (i = 0; i < 8; i++) p.weight[i] = 0.0f;
    OPTION(LOCUS_ERR_ARGUMENT, p.o.weight = p.weight, "weight")
    for (i = 0; i < 4; i++) {
        const float no[] = {-0.001f, 1.0001f, f_nan(), f_inf()};
        const float was = p.rows[7 * p.stride + 5];
        OPTION(i < 2 ? LOCUS_ERR_ARGUMENT : LOCUS_ERR_NONFINITE, p.rows[7 * p.stride + 5] = no[i], "profiles[7, 5]")
        p.rows[7 * p.stride + 5] = was;
    }
    p.rows[0] = -0.0f, p.rows[1] = 1.0f;
    ZERO(p.o);
    CHECK_STATUS(LOCUS_OK, choose(&p, picks, values, &out));
    p.required[1] = p.required[4] = 1;
    p.cost[1] = p.cost[4] = 2.0f;
    OPTION(LOCUS_ERR_BUDGET, (p.o.required = p.required, p.o.count = 1), "count")
    OPTION(LOCUS_ERR_BUDGET, (p.o.required = p.required, p.o.cost = p.cost, p.o.budget = 3.9), "budget")
    ZERO(p.o);
    p.o.required = p.required, p.o.cost = p.cost, p.o.budget = 4.0, p.o.count = 2, p.o.available = p.available;
    memset(p.available, 0, 10); // what is required is in it, available or not
    CHECK_STATUS(LOCUS_OK, choose(&p, picks, values, &out));
    CHECK(out.count == 2 && picks[0] == 1 && picks[1] == 4);
    OPTION(LOCUS_ERR_NO_CANDIDATE, p.o.available = p.available, "none of 10")
    for (i = 0; i < 10; i++) p.cost[i] = 3.0f;
    OPTION(LOCUS_ERR_NO_CANDIDATE, (p.o.cost = p.cost, p.o.budget = 2.0), "none of 10")
    ZERO(p.o); // a price that nothing is worth
    p.o.cost = p.cost, p.o.lambda = 1e6;
    CHECK_STATUS(LOCUS_OK, choose(&p, picks, values, &out));
    CHECK_SIZE(0, out.count);
    CHECK_NEAR(0.0, out.bound, 0.0);
    p.o.lambda = DBL_MAX;
    CHECK_STATUS(LOCUS_OK, choose(&p, picks, values, &out));
    CHECK_SIZE(0, out.count);
    ZERO(p.o); // weights of any size
    for (i = 0; i < 8; i++) p.weight[i] = i % 2 ? 3e38f : 1e-44f;
    p.o.weight = p.weight, p.o.count = 3;
    CHECK_STATUS(LOCUS_OK, choose(&p, picks, values, &out));
    for (i = 0; i < 8; i++) p.weight[i] = 1e-45f;
    CHECK_STATUS(LOCUS_OK, choose(&p, picks, values, &out));
    CHECK(out.value > 0.0 && out.value <= 1.0 && out.bound <= 1.0 + 1e-12);
    problem_free(&p);
}

// ---------------------------------------------------------------------------------------------------- comparison

static void student_quantiles_are_those_of_scipy(void)
{
    static const struct {
        size_t df;
        double level, t; // scipy.stats.t.isf((1 - level) / 2, df)
    } known[] = {
        {1, 0.01, 0.015709255323665},       {1, 0.5, 1.00000000001339},
        {1, 0.8, 3.07768353720781},         {1, 0.9, 6.31375151480094},
        {1, 0.95, 12.7062047364321},        {1, 0.99, 63.656741162874},
        {1, 0.999999, 636619.772348617},    {2, 0.01, 0.0141428427820626},
        {2, 0.5, 0.816496580927727},        {2, 0.8, 1.88561808316415},
        {2, 0.9, 2.91998558035552},         {2, 0.95, 4.30265272991127},
        {2, 0.99, 9.92484320091807},        {2, 0.999999, 999.999249996161},
        {3, 0.01, 0.0136040546910077},      {3, 0.5, 0.764892328080891},
        {3, 0.8, 1.63774435721591},         {3, 0.9, 2.35336343480183},
        {3, 0.95, 3.18244630528426},        {3, 0.99, 5.84090929975643},
        {3, 0.999999, 130.1545893529},      {4, 0.01, 0.0133338271923189},
        {4, 0.5, 0.740697084091225},        {4, 0.8, 1.53320627371314},
        {4, 0.9, 2.13184678133629},         {4, 0.95, 2.7764451051978},
        {4, 0.99, 4.6040948714159},         {4, 0.999999, 49.4586367565813},
        {5, 0.01, 0.0131719846726466},      {5, 0.5, 0.72668684379794},
        {5, 0.8, 1.47588404878203},         {5, 0.9, 2.01504837266916},
        {5, 0.95, 2.57058183661474},        {5, 0.99, 4.03214298355754},
        {5, 0.999999, 28.4784734628437},    {10, 0.01, 0.0128502791885714},
        {10, 0.5, 0.699812061312429},       {10, 0.8, 1.37218364111029},
        {10, 0.9, 1.81246112281073},        {10, 0.95, 2.22813885196494},
        {10, 0.99, 3.16927266717584},       {10, 0.999999, 10.516489956898},
        {31, 0.01, 0.0126349530900215},     {31, 0.5, 0.682486304875312},
        {31, 0.8, 1.30946354710086},        {31, 0.9, 1.69551878913667},
        {31, 0.95, 2.03951344639641},       {31, 0.99, 2.74404191929413},
        {31, 0.999999, 6.07197592470831},   {32, 0.01, 0.0126317703708881},
        {32, 0.5, 0.682233920164883},       {32, 0.8, 1.30857279108984},
        {32, 0.9, 1.69388875400516},        {32, 0.95, 2.0369333434601},
        {32, 0.99, 2.73848148201208},       {32, 0.999999, 6.02833278040362},
        {100, 0.01, 0.0125648468131002},    {100, 0.5, 0.676951043008279},
        {100, 0.8, 1.29007476133988},       {100, 0.9, 1.66023432606575},
        {100, 0.95, 1.98397151844963},      {100, 0.99, 2.62589052058633},
        {100, 0.999999, 5.21372757421961},  {399, 0.01, 0.0125413262473377},
        {399, 0.5, 0.675105123919778},      {399, 0.8, 1.28367692192406},
        {399, 0.9, 1.64868153355541},       {399, 0.95, 1.96592729592081},
        {399, 0.99, 2.58820716403014},      {399, 0.999999, 4.96909194940301},
        {400, 0.01, 0.0125413065993876},    {400, 0.5, 0.675103584240745},
        {400, 0.8, 1.2836715995703},        {400, 0.9, 1.6486719414654},
        {400, 0.95, 1.96591234322939},      {400, 0.99, 2.58817608003391},
        {400, 0.999999, 4.96889566989413},  {401, 0.01, 0.0125412870494625},
        {401, 0.5, 0.675102052247102},      {401, 0.8, 1.28366630380658},
        {401, 0.9, 1.64866239732749},       {401, 0.95, 1.96589746533645},
        {401, 0.99, 2.58814515176572},      {401, 0.999999, 4.96870038263119},
        {1000, 0.01, 0.0125366037591698},   {1000, 0.5, 0.674735164607009},
        {1000, 0.8, 1.28239872146092},      {1000, 0.9, 1.64637881728546},
        {1000, 0.95, 1.96233908082641},     {1000, 0.99, 2.58075469806594},
        {1000, 0.999999, 4.92228952341938}, {1000000, 0.01, 0.0125334726419293},
        {1000000, 0.5, 0.674489995531087},  {1000000, 0.8, 1.28155241212994},
        {1000000, 0.9, 1.64485515072204},   {1000000, 0.95, 1.95996635681411},
        {1000000, 0.99, 2.57583422010533},  {1000000, 0.999999, 4.89166896070473},
    };
    size_t i;
    for (i = 0; i < COUNT(known); i++) {
        context("df %zu, level %g", known[i].df, known[i].level);
        CHECK_NEAR(1.0, locusi_quantile(known[i].level, known[i].df) / known[i].t, 1e-7);
    }
    context("normal");
    CHECK_NEAR(1.6448536269514722, locusi_quantile(0.9, 0), 1e-12);
    CHECK_NEAR(1.9599639845400545, locusi_quantile(0.95, 0), 1e-12);
    CHECK_NEAR(3.2905267314919255, locusi_quantile(0.999, 0), 1e-12);
}

static void intervals_follow_their_formulas(void)
{
    const double x[5] = {0.41, 0.39, 0.44, 0.35, 0.42};
    const double mean = (0.41 + 0.39 + 0.44 + 0.35 + 0.42) / 5.0;
    double squares = 0.0, t = 2.13184678632665; // 90 %, 4 degrees of freedom
    locus_interval v;
    size_t i;
    for (i = 0; i < 5; i++) squares += (x[i] - mean) * (x[i] - mean);
    v = locus_interval_of(0.5, x, 5, 0.9);
    CHECK_NEAR(0.5, v.value, 0.0);
    CHECK_NEAR(0.5 - t * sqrt(squares / 4.0), v.low, 1e-9);
    CHECK_NEAR(0.5 + t * sqrt(squares / 4.0), v.high, 1e-9);
    for (i = 0; i < 7; i++) {
        const double levels[] = {0.9, 0.9, 0.0, 1.0, -1.0, NAN, 2.0};
        v = locus_interval_of(0.5, i == 1 ? NULL : x, i == 0 ? 1 : 5, levels[i]);
        CHECK(v.value == 0.5 && v.low != v.low && v.high != v.high);
    }
}

typedef struct statistic {
    double a, b, difference, agreement;
} statistic;

static statistic statistic_of(const float *a, const float *b, size_t n, const int32_t *category, int32_t which)
{
    statistic s = {0, 0, 0, 0};
    size_t i, count = 0;
    for (i = 0; i < n; i++) {
        const double p = (double)a[i], q = (double)b[i];
        if (category && category[i] != which) continue;
        count++;
        s.a += p;
        s.b += q;
        s.agreement += 1.0 - p - q + 2.0 * p * q;
    }
    s.a /= (double)count, s.b /= (double)count, s.agreement /= (double)count;
    s.difference = s.a - s.b;
    return s;
}

static void check_interval(int line, const locus_interval *found, double value, const double *x, size_t n, double level)
{
    const locus_interval e = locus_interval_of(value, x, n, level);
    check_near(line, "value", value, found->value, 1e-12);
    check_near(line, "low", e.low, found->low, 1e-10);
    check_near(line, "high", e.high, found->high, 1e-10);
}

typedef struct pair { // a pool of three models and what they answered
    ref_net ref;
    raw_file *raw;
    locus_net *net;
    locus_pool *pool;
    float *enc;
    unsigned char scores[3 * 60];
    locus_evals evals;
} pair;

enum { PAIR_Q = 60, PAIR_D = 5 };

static int pair_make(pair *p, int predictor_only)
{
    float *z = normals(3 * 6, 1.0, 21);
    ref_rng g;
    size_t i;
    g.state = g_seed + 4;
    ZERO(*p);
    ref_init(&p->ref, PAIR_D, 6, 2, 1, 3, 4, 0, 3, 77 + g_seed);
    p->raw = raw_from_net(&p->ref);
    for (i = p->raw->count; predictor_only && i-- > 0;)
        if (!strncmp(p->raw->t[i].name, "encoder.", 8)) raw_drop(p->raw, i);
    if (!CHECK_STATUS(LOCUS_OK, raw_create(p->raw, NULL, &p->net))) return 0;
    p->pool = pool_of(p->net, z, 3);
    p->enc = normals(PAIR_Q * PAIR_D, 0.6, 5);
    for (i = 0; i < sizeof p->scores; i++) p->scores[i] = (unsigned char)(below(&g, 5) ? below(&g, 2) : 255);
    p->evals.queries = queries_of(p->enc, PAIR_Q, PAIR_D);
    p->evals.scores.models = 3;
    p->evals.scores.u8 = p->scores;
    free(z);
    return p->pool != NULL;
}

static void pair_free(pair *p)
{
    locus_pool_destroy(p->pool);
    locus_net_destroy(p->net);
    raw_free(p->raw);
    ref_free(&p->ref);
    free(p->enc);
}

static double cosine_of(const float *a, const float *b, size_t d)
{
    double aa = 0.0, bb = 0.0, ab = 0.0;
    size_t j;
    for (j = 0; j < d; j++) {
        aa += (double)a[j] * (double)a[j];
        bb += (double)b[j] * (double)b[j];
        ab += (double)a[j] * (double)b[j];
    }
    return 1.0 - ab / sqrt(aa * bb);
}

// Against the formulas on rows that public functions make: the model's own, and those of its versions.
static void comparisons_follow_their_formulas(void)
{
    enum { Q = PAIR_Q, R = 9, C = 4, A = 2, B = 0 };
    int32_t category[Q];
    size_t i, r, kase;
    for (i = 0; i < Q; i++) category[i] = i % 5 == 3 ? 7 : (int32_t)(i % 5) - 1; // -1, 0, 1, 3, 7: none of 2
    for (kase = 0; kase < 4; kase++) { // 1, 3: too few answers of one for versions
        pair p;
        locus_pool *versions[2] = {NULL, NULL};
        float *rows[2], own[3 * Q];
        locus_comparison out;
        locus_compare_opts o;
        locus_interval by[C];
        double x[5][R], level = kase % 2 ? 0.95 : 0.9, z = kase % 2 ? 1.9599639845400545 : 1.6448536269514722;
        size_t c, shared = 0, same = 0, pairs = 0, count[2];
        statistic s;
        context("case %zu", kase);
        if (!pair_make(&p, 0)) return;
        ZERO(o);
        o.level = kase % 2 ? 0.95 : 0.0;
        o.category = category, o.categories = C, o.by_category = by;
        o.resamples = R, o.seed = 11;
        if (kase == 1 || kase == 3) memset(p.scores + (kase == 1 ? A : B) * Q + 1, 255, Q - 1);
        CHECK_STATUS(LOCUS_OK, locus_profiles(p.pool, &p.evals.queries, NULL, own, NULL, &g_err));
        for (i = 0; i < 2; i++) {
            const size_t model = i ? B : A;
            locus_resample_opts ro;
            locus_evals e = p.evals;
            ZERO(ro);
            ro.count = R, ro.seed = 11 + 1 + model;
            e.scores.models = 1;
            e.scores.u8 += model * Q;
            rows[i] = floats((R + 1) * Q);
            memcpy(rows[i], own + model * Q, Q * sizeof(float));
            count[i] = (kase == 1 && i == 0) || (kase == 3 && i == 1) ? 0 : R;
            if (!count[i]) continue;
            CHECK_STATUS(LOCUS_OK, locus_pool_resample(&versions[i], p.pool, &e, &ro, NULL, &g_err));
            CHECK_STATUS(LOCUS_OK, locus_profiles(versions[i], &p.evals.queries, NULL, rows[i] + Q, NULL, &g_err));
            pairs = R;
        }
        CHECK_STATUS(LOCUS_OK, locus_compare(p.pool, A, B, &p.evals, &o, &out, NULL, &g_err));
        s = statistic_of(rows[0], rows[1], Q, NULL, 0);
        for (r = 0; r < R; r++) {
            const size_t ra = count[0] ? r + 1 : 0, rb = count[1] ? r + 1 : 0;
            x[0][r] = statistic_of(rows[0] + ra * Q, rows[1], Q, NULL, 0).a;
            x[1][r] = statistic_of(rows[0], rows[1] + rb * Q, Q, NULL, 0).b;
            x[4][r] = cosine_of(ra ? locus_pool_embedding(versions[0], r) : locus_pool_embedding(p.pool, A),
                                rb ? locus_pool_embedding(versions[1], r) : locus_pool_embedding(p.pool, B), 6);
        }
        check_interval(__LINE__, &out.accuracy_a, s.a, x[0], count[0], level);
        check_interval(__LINE__, &out.accuracy_b, s.b, x[1], count[1], level);
        for (c = 0; c <= C; c++) { // C: all
            const int32_t *only = c < C ? category : NULL;
            s = statistic_of(rows[0], rows[1], Q, only, (int32_t)c);
            for (r = 0; r < pairs; r++) {
                const statistic t = statistic_of(rows[0] + (count[0] ? r + 1 : 0) * Q,
                                                 rows[1] + (count[1] ? r + 1 : 0) * Q, Q, only, (int32_t)c);
                x[2][r] = t.difference;
                x[3][r] = t.agreement;
            }
            check_interval(__LINE__, c < C ? &by[c] : &out.difference, s.difference, x[2], pairs, level);
            if (c == C) check_interval(__LINE__, &out.agreement, s.agreement, x[3], pairs, level);
        }
        CHECK(by[2].value != by[2].value && by[2].low != by[2].low);
        {
            locus_interval e = locus_interval_of(
                cosine_of(locus_pool_embedding(p.pool, A), locus_pool_embedding(p.pool, B), 6), x[4], pairs, level);
            CHECK_NEAR(e.value, out.distance.value, 1e-12);
            CHECK_NEAR(e.low < 0.0 ? 0.0 : e.low, out.distance.low, 1e-10);
            CHECK_NEAR(e.high, out.distance.high, 1e-10);
        }
        for (i = 0; i < Q; i++)
            if (p.scores[A * Q + i] != 255 && p.scores[B * Q + i] != 255)
                shared++, same += p.scores[A * Q + i] == p.scores[B * Q + i];
        CHECK_SIZE(shared, out.shared);
        CHECK_NEAR((double)same / (double)shared, out.observed.value, 1e-15);
        for (i = 0; i < 2 && same > 0 && same < shared;
             i++) { // Wilson's bounds solve (p - share)^2 = z^2 p (1 - p) / n
            const double bound = i ? out.observed.high : out.observed.low, off = bound - out.observed.value;
            CHECK_NEAR(z * z * bound * (1.0 - bound) / (double)shared, off * off, 1e-12);
            CHECK(i ? off > 0.0 : off < 0.0);
        }
        for (i = 0; i < 2; i++) locus_pool_destroy(versions[i]), free(rows[i]);
        pair_free(&p);
    }
}

static void comparisons_at_the_edges(void)
{
    pair p;
    locus_compare_opts o;
    locus_comparison out;
    locus_interval by[2];
    locus_evals e;
    float graded[3 * PAIR_Q];
    size_t i;
    if (!pair_make(&p, 1)) return; // no encoder: no versions
    CHECK_MEMORY(locus_compare(p.pool, 0, 1, &p.evals, NULL, &out, &g_run, &g_err));
    CHECK(out.shared > 0 && out.difference.value == out.difference.value && out.difference.low != out.difference.low);
    CHECK(out.observed.low == out.observed.low);
    for (i = 0; i < 3 * PAIR_Q; i++) graded[i] = p.scores[i] == 255 ? f_nan() : p.scores[i] ? 0.7f : 0.5f;
    e = p.evals, e.scores.u8 = NULL, e.scores.f32 = graded; // right is above a half
    {
        locus_comparison same;
        CHECK_STATUS(LOCUS_OK, locus_compare(p.pool, 0, 1, &e, NULL, &same, NULL, &g_err));
        CHECK_NEAR(out.observed.value, same.observed.value, 0.0);
    }
    memset(p.scores + 2, 255, PAIR_Q - 2);
    p.scores[0] = p.scores[PAIR_Q] = 1, p.scores[1] = p.scores[PAIR_Q + 1] = 0;
    CHECK_STATUS(LOCUS_OK, locus_compare(p.pool, 0, 1, &p.evals, NULL, &out, NULL, &g_err));
    CHECK_SIZE(2, out.shared); // 2 of 2 alike: the upper bound is 1 itself
    CHECK_NEAR(1.0, out.observed.high, 0.0);
    CHECK_NEAR(2.0 / (2.0 + 1.6448536269514722 * 1.6448536269514722), out.observed.low, 1e-12);
    CHECK_STATUS(LOCUS_OK, locus_compare(p.pool, 1, 1, &p.evals, NULL, &out, NULL, &g_err));
    CHECK_NEAR(0.0, out.difference.value, 0.0);
    CHECK_NEAR(0.0, out.distance.value, 0.0);
    e = p.evals, e.scores.u8 = NULL; // no scores; no queries
    CHECK_STATUS(LOCUS_OK, locus_compare(p.pool, 0, 1, &e, NULL, &out, NULL, &g_err));
    CHECK(out.shared == 0 && out.observed.value != out.observed.value && out.agreement.value == out.agreement.value);
    CHECK_STATUS(LOCUS_OK, locus_compare(p.pool, 0, 1, NULL, NULL, &out, NULL, &g_err));
    CHECK_NEAR(cosine_of(locus_pool_embedding(p.pool, 0), locus_pool_embedding(p.pool, 1), 6), out.distance.value,
               1e-12);
    CHECK(out.accuracy_a.value != out.accuracy_a.value && out.distance.low != out.distance.low);
    ZERO(o);
    o.by_category = by, o.categories = 2;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_compare(p.pool, 0, 1, &p.evals, &o, &out, NULL, &g_err));
    CHECK_MESSAGE("category");
    for (i = 0; i < 4; i++) {
        const double no[] = {-1.1, 1.1, NAN, INFINITY};
        ZERO(o);
        o.level = no[i];
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_compare(p.pool, 0, 1, &p.evals, &o, &out, NULL, &g_err));
        CHECK_MESSAGE("level");
        o.level = 0.0, o.correlation = no[i];
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_compare(p.pool, 0, 1, &p.evals, &o, &out, NULL, &g_err));
        CHECK_MESSAGE("correlation");
    }
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_compare(NULL, 0, 1, &p.evals, NULL, &out, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_compare(p.pool, 0, 1, &p.evals, NULL, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_compare(p.pool, 3, 1, &p.evals, NULL, &out, NULL, &g_err));
    CHECK_MESSAGE("a: ");
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_compare(p.pool, 0, SIZE_MAX, &p.evals, NULL, &out, NULL, &g_err));
    CHECK_MESSAGE("b: ");
    e = p.evals, e.scores.models = 2;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_compare(p.pool, 0, 1, &e, NULL, &out, NULL, &g_err));
    e = p.evals, e.queries.dim = 4;
    CHECK_STATUS(LOCUS_ERR_QUERY_DIM, locus_compare(p.pool, 0, 1, &e, NULL, &out, NULL, &g_err));
    p.scores[PAIR_Q + 1] = 2;
    CHECK_STATUS(LOCUS_ERR_SCORE, locus_compare(p.pool, 0, 1, &p.evals, NULL, &out, NULL, &g_err));
    CHECK_MESSAGE("scores[1, 1]");
    pair_free(&p);
}

// ---------------------------------------------------------------------------------------------------- money

// The non-decreasing hull's quality at a cost, from its definition: the best mix of two points (or one) that costs no
// more, by trying all pairs.
static double hull_by_pairs(const locus_tradeoff *p, size_t n, double cost)
{
    double best = -1.0;
    size_t i, j;
    for (i = 0; i < n; i++)
        for (j = 0; j < n; j++) {
            double t;
            if (!(p[i].cost <= cost)) continue;
            if (p[i].quality > best) best = p[i].quality;
            if (!(p[j].cost > cost)) continue;
            t = (cost - p[i].cost) / (p[j].cost - p[i].cost);
            if (p[i].quality + t * (p[j].quality - p[i].quality) > best)
                best = p[i].quality + t * (p[j].quality - p[i].quality);
        }
    return best < 0.0 ? NAN : best;
}

// The hull of the points without NaN, its corners in picks.
static locusi_hull hull_of(const locus_tradeoff *p, size_t n, size_t *picks)
{
    unsigned char in[64];
    locusi_hull h;
    size_t i;
    for (i = 0; i < n; i++) in[i] = p[i].cost == p[i].cost;
    h.corner = picks;
    locusi_hull_of(&h, p, n, in, 1);
    return h;
}

static void hulls_are_what_mixing_gives(void)
{
    const locus_tradeoff hand[6] = {{1.0, 0.4}, {2.0, 0.5}, {3.0, 0.8}, {5.0, 0.7}, {6.0, 0.9}, {1.0, 0.3}};
    size_t picks[40], trial, i, n;
    locusi_hull h = hull_of(hand, 6, picks);
    ref_rng g;
    g.state = 301 + g_seed;
    CHECK_SIZE(3, h.corners); // 1, 3, 6: 2 lies below the line, 5 below both
    CHECK(picks[0] == 0 && picks[1] == 2 && picks[2] == 4);
    CHECK_NEAR(0.6, locusi_hull_quality(&h, 2.0), 1e-12);
    CHECK_NEAR(NAN, locusi_hull_quality(&h, 0.5), 0.0);
    CHECK_NEAR(0.9, locusi_hull_quality(&h, 60.0), 0.0);
    CHECK_NEAR(2.0, locusi_hull_cost(&h, 0.6), 1e-12);
    CHECK_NEAR(1.0, locusi_hull_cost(&h, 0.1), 0.0);
    CHECK_NEAR(6.0, locusi_hull_cost(&h, 0.9), 1e-12);
    CHECK_NEAR(NAN, locusi_hull_cost(&h, 0.91), 0.0);
    // area from 1 to 7: 2 * 0.6 + 3 * 0.85 + 1 * 0.9 = 4.65
    CHECK_NEAR(4.65 / 6.0, locusi_hull_aiq(&h, 1.0, 7.0), 1e-12);
    CHECK_NEAR((0.6 + 0.8) / 2.0, locusi_hull_aiq(&h, 2.0, 3.0), 1e-12);
    CHECK_NEAR(0.6, locusi_hull_aiq(&h, 2.0, 2.0), 1e-12);
    CHECK_NEAR(0.2, locusi_hull_aiq(&h, 0.0, 1.0), 1e-12); // from (0, 0), the router that never answers
    h.corners = 0;
    CHECK_NEAR(NAN, locusi_hull_aiq(&h, 0.0, 1.0), 0.0);
    for (trial = 0; trial < trials(300); trial++) {
        locus_tradeoff p[30];
        double area = 0.0, low = HUGE_VAL, high = 0.0;
        const int ties = trial % 2 == 0;
        size_t corners, steps = 20000, known = 0;
        n = ref_range(&g, 1, 30);
        for (i = 0; i < n; i++) {
            p[i].cost = ties ? (double)ref_range(&g, 0, 5) : 1e-6 * ref_uniform(&g);
            p[i].quality = ties ? 0.125 * (double)ref_range(&g, 0, 8) : ref_uniform(&g);
            if (ref_range(&g, 0, 9) == 0) p[i].cost = NAN;
            else {
                known++;
                low = fmin(low, p[i].cost);
                high = fmax(high, p[i].cost);
            }
        }
        context("trial %zu: %zu points", trial, n);
        h = hull_of(p, n, picks);
        corners = h.corners;
        CHECK((corners == 0) == (known == 0));
        for (i = 1; i < corners; i++) {
            CHECK(p[picks[i]].cost > p[picks[i - 1]].cost && p[picks[i]].quality > p[picks[i - 1]].quality);
            if (i > 1) // the way up gets less steep, and no corner lies on a line
                CHECK((p[picks[i]].quality - p[picks[i - 1]].quality) * (p[picks[i - 1]].cost - p[picks[i - 2]].cost) <
                      (p[picks[i - 1]].quality - p[picks[i - 2]].quality) * (p[picks[i]].cost - p[picks[i - 1]].cost));
        }
        for (i = 0; i < 20 && known; i++) {
            const double cost = low + (high - low) * 1.2 * ref_uniform(&g), q = locusi_hull_quality(&h, cost);
            CHECK_NEAR(hull_by_pairs(p, n, cost), q, 1e-9);
            if (q > p[picks[0]].quality && q < p[picks[corners - 1]].quality)
                CHECK_NEAR(cost, locusi_hull_cost(&h, q), 1e-9 * high);
        }
        if (!known || !(high > low) || trial % 8) continue;
        for (i = 0; i < steps; i++)
            area += hull_by_pairs(p, n, low + (high - low) * ((double)i + 0.5) / (double)steps) / (double)steps;
        CHECK_NEAR(area, locusi_hull_aiq(&h, low, high), 1e-6);
    }
}

static void leaders_are_fair_to_models_with_holes(void)
{
    enum { N = 60 };
    float y[4 * N];
    locus_scores s;
    size_t order[4], i, m, columns[2] = {0, 70};
    double means[4];
    ZERO(s);
    s.models = 4;
    s.count = N;
    s.f32 = y;
    // the first half is easy, the second hard: 0 saw only the easy half and is the worst there, 1 saw all and is the
    // better of two, 3 saw nothing
    for (i = 0; i < N; i++) {
        const int easy = i < N / 2;
        y[i] = easy ? (float)(i % 10 < 7) : f_nan();
        y[N + i] = easy ? (float)(i % 10 < 9) : (float)(i % 10 < 4);
        y[2 * N + i] = easy ? (float)(i % 10 < 8) : (float)(i % 10 < 3);
        y[3 * N + i] = f_nan();
    }
    CHECK_STATUS(LOCUS_OK, locus_leaders(&s, NULL, 0, LOCUS_AMONG_SCORED, order, means, NULL, &g_err));
    CHECK(order[0] == 1 && order[1] == 2 && order[2] == 0 && order[3] == 3);
    CHECK(means[1] > means[2] && means[2] > means[0]);
    CHECK_NEAR(NAN, means[3], 0.0);
    CHECK_NEAR(0.1, means[1] - means[2], 1e-6); // as on the queries that both have
    CHECK_STATUS(LOCUS_OK, locus_leaders(&s, NULL, 0, LOCUS_AMONG_ALL, order, means, NULL, &g_err)); // missing: 0
    CHECK(order[0] == 1 && order[1] == 2 && order[2] == 0 && order[3] == 3);
    CHECK_NEAR(0.35, means[0], 1e-12);
    CHECK_NEAR(0.0, means[3], 0.0);
    for (m = 0; m < 4; m++)
        for (i = 0; i < N; i++) y[m * N + i] = (float)((i + m) % 2); // equals without holes: by index
    CHECK_STATUS(LOCUS_OK, locus_leaders(&s, NULL, 0, LOCUS_AMONG_SCORED, order, NULL, NULL, &g_err));
    for (m = 0; m < 4; m++) CHECK_SIZE(m, order[m]);
    CHECK_STATUS(LOCUS_OK, locus_leaders(&s, columns, 1, LOCUS_AMONG_SCORED, order, means, NULL, &g_err));
    CHECK(order[0] == 1 && order[1] == 3);
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_leaders(&s, columns, 2, LOCUS_AMONG_SCORED, order, means, NULL, &g_err));
    CHECK_MESSAGE("columns[1]");
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_leaders(NULL, NULL, 0, LOCUS_AMONG_SCORED, order, means, NULL, &g_err));
    y[5] = 1.5f;
    CHECK_STATUS(LOCUS_ERR_SCORE, locus_leaders(&s, NULL, 0, LOCUS_AMONG_SCORED, order, means, NULL, &g_err));
    g_fail_at = 1;
    y[5] = 0.5f;
    CHECK_STATUS(LOCUS_ERR_MEMORY, locus_leaders(&s, NULL, 0, LOCUS_AMONG_SCORED, order, means, NULL, &g_err));
    g_fail_at = 0;
}

static void paired_intervals_are_paired(void)
{
    enum { N = 400 };
    double a[N], b[N], noise;
    locus_interval x, again;
    size_t i, covered = 0, rounds = g_quick ? 40 : 200;
    ref_rng g;
    g.state = 303 + g_seed;
    for (i = 0; i < N; i++) a[i] = ref_normal(&g) * 10.0, b[i] = a[i] - 0.25;
    CHECK_STATUS(LOCUS_OK, locus_paired_difference(a, b, N, 0.0, 0, 0, &x, NULL, &g_err));
    CHECK_NEAR(0.25, x.value, 1e-12); // what they share cancels
    CHECK_NEAR(0.25, x.low, 1e-9);
    CHECK_NEAR(0.25, x.high, 1e-9);
    for (i = 0; i < N; i++) b[i] = a[i] + ref_normal(&g);
    CHECK_STATUS(LOCUS_OK, locus_paired_difference(a, b, N, 0.9, 2000, 7, &x, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_paired_difference(a, b, N, 0.9, 2000, 7, &again, NULL, &g_err));
    CHECK(memcmp(&x, &again, sizeof x) == 0);
    CHECK_NEAR(2.0 * 1.645 / sqrt((double)N), x.high - x.low, 0.03);
    CHECK(x.low < x.value && x.value < x.high);
    CHECK_STATUS(LOCUS_OK, locus_paired_difference(a, b, N, 0.5, 2000, 7, &again, NULL, &g_err));
    CHECK_NEAR(2.0 * 0.674 / sqrt((double)N), again.high - again.low, 0.02);
    CHECK_STATUS(LOCUS_OK, locus_paired_difference(a, b, N, 0.9, 2000, 8, &again, NULL, &g_err));
    CHECK(memcmp(&x, &again, sizeof x) != 0);
    for (i = 0; i < rounds; i++) { // it covers the truth as often as it says
        size_t k;
        for (k = 0; k < 100; k++) a[k] = ref_normal(&g), b[k] = a[k] + ref_normal(&g);
        CHECK_STATUS(LOCUS_OK, locus_paired_difference(a, b, 100, 0.9, 300, i, &x, NULL, &g_err));
        covered += x.low <= 0.0 && x.high >= 0.0;
    }
    noise = (double)covered / (double)rounds;
    CHECK(noise > 0.8 && noise < 0.97);
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_paired_difference(a, b, 0, 0.9, 10, 7, &x, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_paired_difference(a, NULL, N, 0.9, 10, 7, &x, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_paired_difference(a, b, N, 1.0, 10, 7, &x, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_paired_difference(a, b, N, NAN, 10, 7, &x, NULL, &g_err));
    b[3] = NAN;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_paired_difference(a, b, N, 0.9, 10, 7, &x, NULL, &g_err));
    CHECK_MESSAGE("a[3]");
}

// Three queries, two models, by hand: costs 1 and 4; the dear one is right on queries 0 and 1, the cheap one on 1.
static void a_tiny_frontier_by_hand(void)
{
    const unsigned char u8[6] = {0, 1, 0, 1, 1, 0};
    const double cost[2] = {1.0, 4.0};
    // chances of the cheap and the dear: the gain is 0.3, 0.06 and 0.6: prices 0.1, 0.02 and 0.2
    double p[6] = {0.3, 0.6, 0.6, 0.66, 0.2, 0.8};
    float logits[6];
    const size_t leaders[2] = {1, 0};
    locus_frontier_point points[64];
    locus_zero_corner zero[66];
    locus_single singles[2];
    locus_frontier f;
    locus_scores s;
    locus_route_opts rules;
    locus_frontier_opts o;
    size_t i;
    ZERO(s), ZERO(rules), ZERO(o);
    for (i = 0; i < 6; i++) logits[i] = (float)log(p[i] / (1.0 - p[i]));
    s.models = 2;
    s.count = 3;
    s.u8 = u8;
    rules.cost = cost;
    o.rules = &rules;
    o.leaders = leaders;
    o.leader_count = 2;
    o.resamples = 200;
    if (CHECK_STATUS(LOCUS_OK, locus_frontier_compute(&f, points, zero, singles, logits, 3, &s, &o, NULL, &g_err))) {
        static const double lambda[4] = {0.0, 0.02, 0.1, 0.2}, spent[4] = {4.0, 3.0, 2.0, 1.0},
                            got[4] = {2.0 / 3.0, 2.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0};
        CHECK_SIZE(3, f.queries);
        if (CHECK_SIZE(4, f.points))
            for (i = 0; i < 4; i++) {
                CHECK_NEAR(lambda[i], points[i].lambda, 1e-6);
                CHECK_NEAR(spent[i], points[i].cost, 1e-12);
                CHECK_NEAR(got[i], points[i].quality, 1e-12);
                CHECK_NEAR(got[i], points[i].right, 1e-12);
            }
        CHECK(!points[0].corner && points[1].corner && !points[2].corner && points[3].corner);
        CHECK_SIZE(2, f.corners); // (1, 1/3) and (3, 2/3)
        CHECK_SIZE(2, f.zero_corners);
        CHECK(zero[0].model == 0 && zero[1].model == 1 && zero[0].share >= 1.0);
        CHECK_NEAR(1.0 / 3.0, zero[0].mean.quality, 1e-12);
        CHECK_NEAR(4.0, singles[1].mean.cost, 1e-12);
        CHECK_NEAR(2.0 / 3.0, singles[1].mean.quality, 1e-12);
        CHECK_NEAR(1.0, f.low, 1e-12);
        CHECK_NEAR(4.0, f.high, 1e-12);
        CHECK_NEAR(0.5, f.zero_aiq.value, 1e-12);                      // from 1/3 to 2/3 on a line
        CHECK_NEAR((2.0 * 0.5 + 2.0 / 3.0) / 3.0, f.aiq.value, 1e-12); // the same up to 3, then level
        CHECK_NEAR(f.aiq.value - 0.5, f.aiq_gain.value, 1e-12);
        CHECK_NEAR(2.0 / 3.0 - 5.0 / 9.0, points[1].gain.value, 1e-12); // the zero router has 5/9 at 3
        CHECK_NEAR(0.0, f.at_leader.value, 1e-12);
        CHECK_NEAR(4.0, f.leader_mean.cost, 1e-12);
        CHECK_NEAR(2.5, f.random.cost, 1e-12);
        CHECK_NEAR(0.5, f.random.quality, 1e-12);
        CHECK_NEAR((4.0 + 1.0 + 1.0) / 3.0, f.oracle.cost, 1e-12); // the cheapest right one, the cheapest if none is
        CHECK_NEAR(2.0 / 3.0, f.oracle.quality, 1e-12);
        CHECK_NEAR(0.6, f.level[0], 1e-12); // 90 % of 2/3: on the hull at 1 + 2 * (0.6 - 1/3) * 3 = 2.6
        CHECK_NEAR(2.6, f.cost[0].value, 1e-9);
        CHECK_NEAR(3.0, f.cost[3].value, 1e-9);
        CHECK_NEAR(0.25, f.saving[3].value, 1e-9);
        CHECK_NEAR(4.0, f.zero_cost[3], 1e-9);
        CHECK(f.aiq.low <= f.aiq.value && f.aiq.value <= f.aiq.high);
    }
    rules.guard = LOCUS_GUARD_GIVEN; // the dear one stays until its margin is spent: prices 0.12, 0.2, 0.3
    rules.default_model = 1;
    rules.margin = 0.3;
    if (CHECK_STATUS(LOCUS_OK, locus_frontier_compute(&f, points, zero, singles, logits, 3, &s, &o, NULL, &g_err))) {
        CHECK(points[0].cost >= 4.0);
        CHECK_NEAR(1.0, points[f.points - 1].cost, 1e-12);
        CHECK_NEAR(0.3, points[f.points - 1].lambda, 1e-6);
    }
    ZERO(rules);
    rules.cost = cost;
    rules.max_cost = 2.0; // only the cheap one
    if (CHECK_STATUS(LOCUS_OK, locus_frontier_compute(&f, points, zero, singles, logits, 3, &s, &o, NULL, &g_err))) {
        CHECK_SIZE(1, f.points);
        CHECK_SIZE(0, singles[1].candidate);
        CHECK_NEAR(NAN, singles[1].mean.cost, 0.0);
        CHECK_NEAR(1.0, f.high, 1e-12);
    }
}

// Random logs with holes, unknown costs and graded scores, against a computation from the definitions.
static void frontiers_match_their_definitions(void)
{
    enum { M = 6, P = 64 };
    size_t trial;
    ref_rng g;
    g.state = 305 + g_seed;
    for (trial = 0; trial < trials(60); trial++) {
        const size_t n = ref_range(&g, 1, 40);
        const int among = trial % 3 != 0, allow = trial % 4 == 1;
        float *logits = floats(n * M), *y = floats(n * M);
        double *cost = (double *)xmalloc(n * M * sizeof *cost), random[2] = {0.0, 0.0}, oracle[2] = {0.0, 0.0},
               lead[2] = {0.0, 0.0}, means[M];
        locus_frontier_point points[P];
        locus_zero_corner zero[P + M];
        locus_single singles[M];
        locus_frontier f, again;
        locus_scores s;
        locus_route_opts rules;
        locus_frontier_opts o;
        locus_status status;
        size_t i, m, p, counted = 0, picks[P], order[M] = {3, 1, 4, 0, 5, 2};
        locus_tradeoff t[P];
        locusi_hull hull;
        ZERO(s), ZERO(rules), ZERO(o);
        for (i = 0; i < n * M; i++) {
            logits[i] = (float)ref_normal(&g);
            y[i] = ref_range(&g, 0, 3) == 0 ? f_nan() : (float)ref_range(&g, 0, 4) * 0.25f;
            cost[i] = ref_range(&g, 0, 9) == 0 ? NAN : 1e-5 * (double)ref_range(&g, 1, 20);
        }
        for (m = 0; m < M; m++) means[m] = 0.1 * (double)(M - m);
        s.models = M;
        s.count = n; // [M, n]: scores lie the other way round
        {
            float *turned = floats(n * M);
            for (i = 0; i < n; i++)
                for (m = 0; m < M; m++) turned[m * n + i] = y[i * M + m];
            s.f32 = turned;
        }
        rules.query_cost = cost;
        if (allow) rules.unpriced = LOCUS_UNPRICED_ALLOW;
        o.rules = &rules;
        o.among = among ? LOCUS_AMONG_SCORED : LOCUS_AMONG_ALL;
        o.leaders = order;
        o.leader_count = M;
        o.means = trial % 2 ? means : NULL;
        o.resamples = 20;
        context("trial %zu: %zu queries%s%s", trial, n, among ? ", among the scored" : "",
                allow ? ", unpriced too" : "");
        status = locus_frontier_compute(&f, points, zero, singles, logits, n, &s, &o, NULL, &g_err);
        for (p = 0; p < P; p++) t[p].cost = t[p].quality = 0.0;
        for (i = 0; i < n; i++) { // each query: who may, at what counted cost; then every figure
            double counted_cost[M], dearest = -1.0, sum = 0.0, spent = 0.0, best = -1.0, best_cost = 0.0;
            int in[M];
            size_t number = 0;
            for (m = 0; m < M; m++) {
                const double c = cost[i * M + m];
                in[m] = (!among || y[i * M + m] == y[i * M + m]) && (c == c || allow);
                if (in[m] && c > dearest) dearest = c;
            }
            if (dearest < 0.0) continue;
            counted++;
            for (m = 0; m < M; m++) {
                const double c = cost[i * M + m], q = y[i * M + m] == y[i * M + m] ? (double)y[i * M + m] : 0.0;
                if (!in[m]) continue;
                counted_cost[m] = c == c ? c : dearest;
                number++, sum += q, spent += counted_cost[m];
                if (q > best || (q >= best && counted_cost[m] < best_cost)) best = q, best_cost = counted_cost[m];
            }
            random[0] += spent / (double)number, random[1] += sum / (double)number;
            oracle[0] += best_cost, oracle[1] += best;
            for (m = 0; !in[order[m]]; m++) {}
            lead[0] += counted_cost[order[m]];
            lead[1] += y[i * M + order[m]] == y[i * M + order[m]] ? (double)y[i * M + order[m]] : 0.0;
            for (p = 0; !status && p < f.points; p++) {
                double top = -HUGE_VAL;
                size_t at = 0;
                for (m = 0; m < M; m++)
                    if (in[m]) {
                        const double u =
                            1.0 / (1.0 + exp(-(double)logits[i * M + m])) - points[p].lambda * counted_cost[m];
                        if (u > top) top = u, at = m;
                    }
                t[p].cost += counted_cost[at];
                t[p].quality += y[i * M + at] == y[i * M + at] ? (double)y[i * M + at] : 0.0;
            }
        }
        if (!counted) {
            CHECK_GOT(LOCUS_ERR_NO_CANDIDATE, status);
        } else if (CHECK_GOT(LOCUS_OK, status)) {
            const double k = (double)counted;
            CHECK_SIZE(counted, f.queries);
            CHECK_SIZE(n - counted, f.left_out);
            CHECK_NEAR(random[0] / k, f.random.cost, 1e-15);
            CHECK_NEAR(random[1] / k, f.random.quality, 1e-12);
            CHECK_NEAR(oracle[0] / k, f.oracle.cost, 1e-15);
            CHECK_NEAR(oracle[1] / k, f.oracle.quality, 1e-12);
            CHECK_NEAR(lead[0] / k, f.leader_mean.cost, 1e-15);
            CHECK_NEAR(lead[1] / k, f.leader_mean.quality, 1e-12);
            for (p = 0; p < f.points; p++) {
                t[p].cost /= k, t[p].quality /= k;
                CHECK_NEAR(t[p].cost, points[p].cost, 1e-15);
                CHECK_NEAR(t[p].quality, points[p].quality, 1e-12);
                if (p) CHECK(points[p].cost <= points[p - 1].cost && points[p].lambda > points[p - 1].lambda);
            }
            hull = hull_of(t, f.points, picks);
            CHECK_NEAR(locusi_hull_aiq(&hull, f.low, f.high), f.aiq.value, 1e-9);
            for (p = 0; p < f.points; p++) // the gain, from the zero router's corners
                if (f.zero_corners && points[p].cost >= zero[0].mean.cost) {
                    double q = zero[f.zero_corners - 1].mean.quality;
                    for (m = f.zero_corners - 1; m-- > 0;)
                        if (points[p].cost < zero[m + 1].mean.cost && points[p].cost >= zero[m].mean.cost)
                            q = zero[m].mean.quality + (zero[m + 1].mean.quality - zero[m].mean.quality) *
                                                           (points[p].cost - zero[m].mean.cost) /
                                                           (zero[m + 1].mean.cost - zero[m].mean.cost);
                    CHECK_NEAR(points[p].quality - q, points[p].gain.value, 1e-9);
                } else CHECK_NEAR(NAN, points[p].gain.value, 0.0);
            CHECK_MEMORY(locus_frontier_compute(&again, points, zero, singles, logits, n, &s, &o, &g_run, &g_err));
            CHECK(!memcmp(&again.aiq, &f.aiq, sizeof f.aiq)); // the same seed, the same interval
        }
        free((void *)(uintptr_t)s.f32);
        free(logits), free(y), free(cost);
    }
    context("%s", "");
}

static void bad_frontiers_are_refused(void)
{
    float logits[4] = {0.0f}, y[4] = {0.0f, 1.0f, 1.0f, 0.0f};
    double cost[4] = {1.0, 2.0, 1.0, 2.0};
    size_t leaders[2] = {0, 7}, columns[2] = {0, 9}, at;
    locus_frontier_point points[64];
    locus_zero_corner zero[66];
    locus_single singles[2];
    locus_frontier f;
    locus_scores s;
    locus_route_opts rules;
    locus_frontier_opts o;
    ZERO(s), ZERO(rules), ZERO(o);
    s.models = s.count = 2;
    s.f32 = y;
    rules.query_cost = cost;
    o.rules = &rules;
#define FRONTIER() locus_frontier_compute(&f, points, zero, singles, logits, 2, &s, &o, NULL, &g_err)
    CHECK_STATUS(LOCUS_OK, FRONTIER());
    CHECK_STATUS(LOCUS_ERR_ARGUMENT,
                 locus_frontier_compute(NULL, points, zero, singles, logits, 2, &s, &o, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT,
                 locus_frontier_compute(&f, points, NULL, singles, logits, 2, &s, &o, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_frontier_compute(&f, points, zero, singles, NULL, 2, &s, &o, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT,
                 locus_frontier_compute(&f, points, zero, singles, logits, 2, NULL, &o, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_NO_CANDIDATE,
                 locus_frontier_compute(&f, points, zero, singles, logits, 2, &s, NULL, NULL, &g_err));
    cost[3] = -1.0;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, FRONTIER());
    CHECK_MESSAGE("query_cost[1, 1]");
    cost[3] = 2.0;
    y[3] = 2.0f;
    CHECK_STATUS(LOCUS_ERR_SCORE, FRONTIER());
    y[3] = 0.0f;
    o.level = 1.0;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, FRONTIER());
    o.level = 0.0;
    o.leaders = leaders, o.leader_count = 2;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, FRONTIER());
    CHECK_MESSAGE("leaders[1]");
    o.leader_count = 0;
    o.columns = columns;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, FRONTIER());
    o.columns = NULL;
    for (at = 0; at < 4; at++) { // not a number is no logit; an infinite one is that of a certain answer
        char where[32];
        snprintf(where, sizeof where, "logits[%zu, %zu]", at / 2, at % 2);
        logits[at] = f_nan();
        CHECK_STATUS(LOCUS_ERR_NONFINITE, FRONTIER());
        CHECK_MESSAGE(where);
        logits[at] = -f_inf();
        CHECK_STATUS(LOCUS_OK, FRONTIER());
        logits[at] = 0.0f;
    }
    for (at = 1; at < 30; at++) {
        const long blocks = g_blocks;
        g_fail_at = at;
        g_failed_mallocs = 0;
        if (FRONTIER() != LOCUS_ERR_MEMORY) CHECK(!g_failed_mallocs);
        g_fail_at = 0;
        CHECK(g_blocks == blocks);
    }
    o.points = SIZE_MAX;
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, FRONTIER());
    o.points = 0;
    o.strong = 2;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, FRONTIER());
    o.strong = 1;
    CHECK_STATUS(LOCUS_OK, FRONTIER());
    CHECK_SIZE(2, f.gap.queries);
    rules.query_cost = NULL; // the gap needs no costs
    CHECK_STATUS(LOCUS_ERR_NO_CANDIDATE, FRONTIER());
    CHECK_SIZE(2, f.gap.queries);
    y[0] = y[3] = f_nan();
    o.among = LOCUS_AMONG_SCORED;
    CHECK_STATUS(LOCUS_ERR_NO_CANDIDATE, FRONTIER());
    CHECK_MESSAGE("weak, strong");
#undef FRONTIER
}

static void recovered_gaps_match_their_definition(void)
{
    size_t trial;
    ref_rng g;
    g.state = 307 + g_seed;
    for (trial = 0; trial < trials(100); trial++) {
        enum { MOST_QUERIES = 30 };
        const size_t n = ref_range(&g, 1, MOST_QUERIES);
        float logits[3 * MOST_QUERIES], y[3 * MOST_QUERIES];
        double weak = 0.0, strong = 0.0, area = 0.0, before = 0.0, half = NAN;
        size_t i, k, used = 0, at[MOST_QUERIES];
        const double cost[3] = {1.0, 1.0, 1.0};
        locus_frontier_point points[64];
        locus_zero_corner zero[67];
        locus_single singles[3];
        locus_frontier f;
        locus_scores s;
        locus_gap gap;
        locus_route_opts rules;
        locus_frontier_opts o;
        locus_status status;
        ZERO(s), ZERO(rules), ZERO(o);
        rules.cost = cost;
        o.rules = &rules;
        o.weak = 2;
        for (i = 0; i < 3 * n; i++) logits[i] = (float)ref_normal(&g);
        for (i = 0; i < 3 * n; i++)
            y[i] = trial % 2 && ref_range(&g, 0, 4) == 0 ? f_nan() : (float)ref_range(&g, 0, 4) * 0.25f;
        s.models = 3;
        s.count = n;
        s.f32 = y;
        o.among = LOCUS_AMONG_SCORED;
        o.resamples = 50;
        context("trial %zu: %zu queries", trial, n);
        status = locus_frontier_compute(&f, points, zero, singles, logits, n, &s, &o, NULL, &g_err);
        gap = f.gap;
        for (i = 0; i < n; i++) {
            if (y[i] != y[i] || y[2 * n + i] != y[2 * n + i]) continue;
            at[used++] = i;
            weak += (double)y[2 * n + i], strong += (double)y[i];
        }
        if (!used) {
            CHECK_GOT(LOCUS_ERR_NO_CANDIDATE, status);
            continue;
        }
        if (!CHECK_GOT(LOCUS_OK, status)) continue;
        CHECK_SIZE(used, gap.queries);
        CHECK_NEAR(weak / (double)used, gap.weak, 1e-9);
        CHECK_NEAR(strong / (double)used, gap.strong, 1e-9);
        for (k = 1; k <= used; k++) { // k queries go to the strong one: those of largest gain in chance
            double score = 0.0;
            for (i = 0; i < used; i++) {
                size_t above = 0, j;
                double mine =
                    locus_probability((double)logits[3 * at[i]]) - locus_probability((double)logits[3 * at[i] + 2]);
                for (j = 0; j < used; j++) {
                    double other =
                        locus_probability((double)logits[3 * at[j]]) - locus_probability((double)logits[3 * at[j] + 2]);
                    above += other > mine || (other >= mine && j < i);
                }
                score += above < k ? (double)y[at[i]] - (double)y[2 * n + at[i]] : 0.0;
            }
            area += 0.5 * (before + score) / (double)used;
            if (half != half && score >= 0.5 * (strong - weak) && score > before)
                half = ((double)k - 1.0 + (0.5 * (strong - weak) - before) / (score - before)) / (double)used;
            before = score;
        }
        CHECK_NEAR(strong > weak ? area / (strong - weak) : NAN, gap.recovered.value, 1e-9);
        CHECK_NEAR(strong > weak ? half : NAN, gap.calls_half, 1e-9);
    }
    context("%s", "");
}

// ---------------------------------------------------------------------------------------------------- main

static const test_case tests[] = {
    TEST(portfolios_come_near_the_best_of_all_subsets),
    TEST(portfolios_cannot_be_improved_by_one_exchange),
    TEST(exchanges_lead_to_a_set_that_none_improves),
    TEST(lazy_greedy_picks_what_plain_greedy_picks),
    TEST(greedy_answers_are_nested_and_gains_shrink),
    TEST(values_are_monotone_and_submodular),
    TEST(portfolios_do_not_depend_on_the_order_of_models),
    TEST(ties_go_to_the_lower_index),
    TEST(portfolios_do_not_depend_on_threads_or_instruction_sets),
    TEST(sums_are_exact_for_every_instruction_set),
    TEST(portfolios_can_be_cancelled),
    TEST(bad_portfolio_arguments_are_refused),
    TEST(student_quantiles_are_those_of_scipy),
    TEST(intervals_follow_their_formulas),
    TEST(comparisons_follow_their_formulas),
    TEST(comparisons_at_the_edges),
    TEST(hulls_are_what_mixing_gives),
    TEST(leaders_are_fair_to_models_with_holes),
    TEST(paired_intervals_are_paired),
    TEST(a_tiny_frontier_by_hand),
    TEST(frontiers_match_their_definitions),
    TEST(bad_frontiers_are_refused),
    TEST(recovered_gaps_match_their_definition),
};

MAIN(tests)
