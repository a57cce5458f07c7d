// SPDX-License-Identifier: MIT
// Tests of profiles and distances, neighbours, clusters, medoids and k-center, against plain double
// loops that share no code with locus.h, and against the promises of locus.h.
//
//     cc -O2 tests/test_geometry.c -o build/test_geometry -lm -lpthread && build/test_geometry [part of a test's name]
//
// LOCUS_TEST_QUICK=1: fewer and smaller cases. LOCUS_TEST_SEED: another seed for the random cases.

#define TEST_FILE "test_geometry.c"
#include "harness.h"

// ---------------------------------------------------------------------------------------------------- the second judge

// Rows in families: `spread` apart within one. Chances: squeezed into [0,1].
static float *families(size_t n, size_t d, size_t count, double spread, locus_metric metric, uint64_t seed)
{
    float *center = normals(count * d, 1.0, seed), *x = normals(n * d, spread, seed + 1);
    ref_rng g;
    size_t i, j;
    g.state = seed + g_seed;
    for (i = 0; i < n; i++) {
        const size_t f = ref_range(&g, 0, count - 1);
        for (j = 0; j < d; j++) {
            x[i * d + j] += center[f * d + j];
            if (metric == LOCUS_DISAGREEMENT) x[i * d + j] = 1.0f / (1.0f + expf(-x[i * d + j]));
        }
    }
    free(center);
    return x;
}

static double far_apart(locus_metric metric, const float *a, const float *b, size_t d)
{
    double aa = 0.0, bb = 0.0, ab = 0.0, square = 0.0, unlike = 0.0;
    size_t j;
    for (j = 0; j < d; j++) {
        const double x = (double)a[j], y = (double)b[j];
        aa += x * x, bb += y * y, ab += x * y, square += (x - y) * (x - y), unlike += x + y - 2.0 * x * y;
    }
    if (metric == LOCUS_EUCLIDEAN) return sqrt(square);
    if (metric == LOCUS_RMS) return sqrt(square / (double)d);
    if (metric == LOCUS_DISAGREEMENT) return unlike / (double)d;
    return aa > 0.0 && bb > 0.0 ? fmax(0.0, 1.0 - ab / sqrt(aa * bb)) : 1.0;
}

static double *all_apart(locus_metric metric, const float *x, size_t n, size_t d)
{
    double *out = (double *)xmalloc(n * n * sizeof(double));
    size_t i, j;
    for (i = 0; i < n; i++)
        for (j = 0; j < n; j++) out[i * n + j] = i == j ? 0.0 : far_apart(metric, x + i * d, x + j * d, d);
    return out;
}

static locus_points points_of(const float *x, size_t n, size_t d)
{
    locus_points p;
    ZERO(p);
    p.rows = x, p.count = n, p.dim = d;
    return p;
}

// How points are compared and the call is run; NULL: all zero
typedef struct ways {
    locus_metric metric;
    const unsigned char *available;
    locus_run run;
} ways;

static ways opts_of(locus_metric metric, int isa, const locus_parallel *parallel)
{
    ways o;
    ZERO(o);
    o.metric = metric, o.run.isa = (locus_isa)isa, o.run.parallel = parallel;
    return o;
}

static const char *const metric_names[] = {"cosine", "euclidean", "disagreement", "rms"};

#define EACH_METRIC(m) for (m = LOCUS_COSINE; m < LOCUS_METRIC_COUNT; m = (locus_metric)(m + 1))

static const ways no_ways;

// Each in as much memory as it says that it takes.
#define GUARDED(name, parameters, call)                                                                                \
    static locus_status name parameters                                                                                \
    {                                                                                                                  \
        locus_run run = o ? o->run : no_ways.run;                                                                      \
        locus_status s;                                                                                                \
        if (!o) o = &no_ways;                                                                                          \
        room_open(&run, 0);                                                                                            \
        do s = call;                                                                                                   \
        while (room_again(__LINE__, &run, s));                                                                         \
        return s;                                                                                                      \
    }

GUARDED(neighbours, (const locus_points *p, const locus_points *of, size_t k, locus_neighbour *out, const ways *o),
        locus_neighbours(p, of, o->metric, o->available, k, out, &run, &g_err))
GUARDED(distances, (const locus_points *a, const locus_points *b, float *out, const ways *o),
        locus_distances(a, b, o->metric, out, &run, &g_err))
GUARDED(cluster, (const locus_points *p, locus_linkage linkage, locus_merge *out, const ways *o),
        locus_cluster(p, o->metric, linkage, out, &run, &g_err))
GUARDED(cut,
        (const locus_merge *merges, size_t n, size_t count, double height, size_t *label, size_t *clusters,
         const ways *o),
        locus_cluster_cut(merges, n, count, height, label, clusters, &run, &g_err))
GUARDED(centers, (const locus_points *p, size_t k, size_t *picks, float *radius, const ways *o),
        locus_centers(p, o->metric, o->available, k, picks, radius, &run, &g_err))
GUARDED(medoids, (const locus_points *p, size_t k, size_t *picks, size_t *label, double *mean, const ways *o),
        locus_medoids(p, o->metric, o->available, k, picks, label, mean, &run, &g_err))

// ---------------------------------------------------------------------------------------------------- points

static locus_status profiles(const locus_pool *pool, const locus_queries *q, const locus_scores *known, float *out,
                             const locus_parallel *parallel)
{
    locus_run run;
    locus_status s;
    ZERO(run);
    run.parallel = parallel;
    room_open(&run, 0);
    do s = locus_profiles(pool, q, known, out, &run, &g_err);
    while (room_again(__LINE__, &run, s));
    return s;
}

static void profiles_are_the_predicted_chances(void)
{
    ref_net ref;
    raw_file *f;
    locus_net *net = NULL;
    locus_pool *pool;
    const size_t M = 37, Q = 150;
    float *z = normals(M * 6, 1.0, 1), *q = normals(Q * 7, 1.0, 2), *logits = floats(Q * M), *p = floats(M * Q);
    float *known = floats(M * Q), *with = floats(M * Q);
    unsigned char *bytes = (unsigned char *)xmalloc(M * Q);
    locus_queries queries = queries_of(q, Q, 5);
    locus_scores scores;
    size_t i, m, kind;
    ZERO(ref);
    ZERO(scores);
    ref_init(&ref, 5, 6, 2, 2, 3, 4, 0, 3, 900 + g_seed);
    f = raw_from_net(&ref);
    if (!CHECK_STATUS(LOCUS_OK, raw_create(f, NULL, &net))) return;
    pool = pool_of(net, z, M);
    queries.stride = 7;
    CHECK_STATUS(LOCUS_OK, predict(pool, &queries, logits, NULL));
    for (kind = 0; kind < THREAD_KINDS; kind++) {
        double most = 0.0;
        memset(p, 0xff, M * Q * sizeof *p);
        CHECK_STATUS(LOCUS_OK, profiles(pool, &queries, NULL, p, parallel_of(kind)));
        for (m = 0; m < M; m++)
            for (i = 0; i < Q; i++)
                most = fmax(most, fabs((double)p[m * Q + i] - 1.0 / (1.0 + exp(-(double)logits[i * M + m]))));
        CHECK(most < 1e-7);
    }
    // known answers stand in their place
    for (i = 0; i < M * Q; i++) {
        known[i] = i % 3 == 1 ? f_nan() : i % 3 ? 1.0f : 0.25f;
        bytes[i] = (unsigned char)(i % 3 == 1 ? 255 : i % 2);
    }
    scores.models = M;
    for (kind = 0; kind < 2; kind++) {
        scores.f32 = kind ? NULL : known;
        scores.u8 = kind ? bytes : NULL;
        CHECK_STATUS(LOCUS_OK, profiles(pool, &queries, &scores, with, NULL));
        for (i = 0; i < M * Q; i++)
            CHECK(fabsf(with[i] - (i % 3 == 1 ? p[i] : kind ? (float)bytes[i] : known[i])) <= 0.0f);
    }
    scores.f32 = known;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, profiles(pool, &queries, &scores, with, NULL));
    scores.f32 = NULL, bytes[M * Q - 1] = 2;
    CHECK_STATUS(LOCUS_ERR_SCORE, profiles(pool, &queries, &scores, p, NULL));
    CHECK_MESSAGE("[36, 149]");
    bytes[M * Q - 1] = 1, scores.models = M - 1;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, profiles(pool, &queries, &scores, p, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, profiles(NULL, &queries, NULL, p, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, profiles(pool, NULL, NULL, p, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, profiles(pool, &queries, NULL, NULL, NULL));
    q[100 * 7 + 2] = f_nan();
    CHECK_STATUS(LOCUS_ERR_NONFINITE, profiles(pool, &queries, NULL, p, NULL));
    CHECK_MESSAGE("[100, 2]");
    queries.dim = 4;
    CHECK_STATUS(LOCUS_ERR_QUERY_DIM, profiles(pool, &queries, NULL, p, NULL));
    locus_pool_destroy(pool);
    locus_net_destroy(net);
    raw_free(f);
    ref_free(&ref);
    free(z), free(q), free(logits), free(p), free(known), free(with), free(bytes);
}

static void distances_match_double(void)
{
    static const size_t shapes[][3] = {{1, 1, 1}, {3, 2, 5}, {70, 70, 1}, {65, 300, 33}, {50, 17, 300}, {100, 90, 700}};
    locus_metric m;
    size_t s, i, j, kind;
    int isa;
    EACH_METRIC(m) for (s = 0; s < COUNT(shapes); s++)
    {
        const size_t n = shapes[s][0], k = shapes[s][1], d = shapes[s][2], stride = d + s % 3;
        float *x = families(n, stride, 4, 0.3, m, 10 * s + 1), *y = families(k, d, 4, 0.3, m, 10 * s + 1);
        float *out = floats(n * k), *same = floats(n * k);
        locus_points a = points_of(x, n, d), b = points_of(y, k, d);
        a.stride = stride;
        // pairs whose product says nothing: equal rows, and nearly equal ones
        memcpy(y, x, d * sizeof *y);
        if (k > 1 && n > 1)
            for (j = 0; j < d; j++) y[d + j] = x[stride + j] * (1.0f - (float)(1 + j % 3) * 1e-4f);
        if (m == LOCUS_COSINE && k > 2) memset(y + 2 * d, 0, d * sizeof *y);
        for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
            if (!locus_isa_supported((locus_isa)isa)) continue;
            for (kind = 0; kind < THREAD_KINDS; kind++) {
                const ways o = opts_of(m, isa, parallel_of(kind));
                double most = 0.0;
                context("%s, %s, shape %zu, threads %zu", metric_names[m], locus_isa_name((locus_isa)isa), s, kind);
                CHECK_STATUS(LOCUS_OK, distances(&a, &b, kind ? same : out, &o));
                if (kind) CHECK_SAME("threads", out, same, n * k);
                for (i = 0; i < n && !kind; i++)
                    for (j = 0; j < k; j++) {
                        const double e = far_apart(m, x + i * stride, y + j * d, d);
                        most = fmax(most, fabs(e - (double)out[i * k + j]) / (1e-6 + 1e-5 * e));
                    }
                CHECK(most <= 1.0);
                if (m != LOCUS_DISAGREEMENT) CHECK(out[0] <= 0.0f);
            }
            if (m == LOCUS_EUCLIDEAN && k > 1 && n > 1) // small, yet known to many digits
                CHECK_NEAR(1.0, (double)out[k + 1] / far_apart(m, x + stride, y + d, d), 1e-6);
        }
        free(x), free(y), free(out), free(same);
    }
}

static void distances_are_symmetric_and_local(void)
{
    const size_t n = 333, d = 40;
    locus_metric m;
    size_t i, j;
    EACH_METRIC(m)
    {
        float *x = families(n, d, 9, 0.2, m, 77), *out = floats(n * n), *part = floats(n * n);
        const ways o = opts_of(m, 0, NULL);
        locus_points a = points_of(x, n, d), b = points_of(x + 100 * d, 51, d);
        size_t unequal = 0, other = 0;
        context("%s", metric_names[m]);
        CHECK_STATUS(LOCUS_OK, distances(&a, NULL, out, &o));
        for (i = 0; i < n; i++)
            for (j = 0; j < n; j++) unequal += memcmp(&out[i * n + j], &out[j * n + i], sizeof(float)) != 0;
        CHECK_SIZE(0, unequal);
        for (i = 0; i < n && m != LOCUS_DISAGREEMENT; i++) CHECK(out[i * n + i] <= 0.0f);
        if (m == LOCUS_EUCLIDEAN) { // moved and scaled far away: the differences are what counts
            for (i = 0; i < n * d; i++) x[i] = (x[i] + 64.0f) * 1e15f;
            CHECK_STATUS(LOCUS_OK, distances(&a, NULL, part, &o));
            for (i = 0; i < n * n; i += 7)
                CHECK_NEAR((double)out[i], (double)part[i] / 1e15, 1e-5 + 1e-4 * (double)out[i]);
            for (i = 0; i < n * d; i++) x[i] *= 1e-38f;
            CHECK_STATUS(LOCUS_OK, distances(&a, NULL, part, &o));
            for (i = 0; i < n; i++) CHECK_NEAR(1.0, i ? (double)part[i] / far_apart(m, x, x + i * d, d) : 1.0, 1e-5);
        } else { // where a pair stands changes nothing
            CHECK_STATUS(LOCUS_OK, distances(&b, &a, part, &o));
            for (i = 0; i < 51; i++)
                for (j = 0; j < n; j++) other += memcmp(&part[i * n + j], &out[(i + 100) * n + j], sizeof(float)) != 0;
            CHECK_SIZE(0, other);
        }
        free(x), free(out), free(part);
    }
}

// ---------------------------------------------------------------------------------------------------- neighbours

static const double *g_order_by; // a row of distances

static int by_distance(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    if ((float)g_order_by[x] < (float)g_order_by[y]) return -1;
    if ((float)g_order_by[x] > (float)g_order_by[y]) return 1;
    return x < y ? -1 : x > y;
}

// Ranks by brute force; places may be exchanged only where distances are equal to the last digits.
static void check_neighbours(const locus_neighbour *found, const double *d, size_t n, size_t k, size_t self,
                             const unsigned char *available)
{
    size_t *order = (size_t *)xmalloc(n * sizeof *order), i, count = 0, wrong = 0, unlike = 0;
    for (i = 0; i < n; i++)
        if (i != self && (!available || available[i])) order[count++] = i;
    g_order_by = d;
    qsort(order, count, sizeof *order, by_distance);
    for (i = 0; i < k; i++) {
        if (i >= count) {
            wrong += found[i].index != SIZE_MAX;
            continue;
        }
        if (found[i].index >= n || found[i].index == self || (available && !available[found[i].index])) {
            wrong++;
            continue;
        }
        if (found[i].index != order[i] && fabs(d[found[i].index] - d[order[i]]) > 2e-7 * (1e-7 + d[order[i]])) wrong++;
        if (fabs((double)found[i].distance - d[found[i].index]) > 1e-7 * (1e-7 + d[found[i].index])) unlike++;
    }
    CHECK_SIZE(0, wrong);
    CHECK_SIZE(0, unlike);
    free(order);
}

static void neighbours_match_brute_force(void)
{
    static const size_t shapes[][3] = {{1, 3, 2}, {2, 3, 1}, {17, 4, 20}, {300, 24, 5}, {700, 60, 12}, {400, 300, 400}};
    locus_metric m;
    size_t s, i, kind;
    int isa;
    EACH_METRIC(m) for (s = 0; s < COUNT(shapes); s++)
    {
        const size_t n = shapes[s][0], d = shapes[s][1], k = shapes[s][2];
        float *x = families(n, d, 1 + n / 20, 0.1, m, 31 * s + 2), *y = families(40, d, 3, 0.1, m, 31 * s + 3);
        double *apart = all_apart(m, x, n, d), *row = (double *)xmalloc(n * sizeof *row);
        locus_neighbour *out = (locus_neighbour *)xmalloc((n + 40) * k * sizeof *out);
        locus_neighbour *same = (locus_neighbour *)xmalloc((n + 40) * k * sizeof *out);
        unsigned char *available = (unsigned char *)xmalloc(n);
        locus_points p = points_of(x, n, d), of = points_of(y, 40, d);
        for (i = 0; i < n; i++) available[i] = i % 3 != 1;
        for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
            if (!locus_isa_supported((locus_isa)isa)) continue;
            for (kind = 0; kind < THREAD_KINDS; kind++) {
                ways o = opts_of(m, isa, parallel_of(kind));
                const int first = isa == 1 && kind == 0;
                memset(first ? out : same, 0, (n + 40) * k * sizeof *out);
                context("%s, %s, shape %zu, threads %zu", metric_names[m], locus_isa_name((locus_isa)isa), s, kind);
                CHECK_STATUS(LOCUS_OK, neighbours(&p, NULL, k, first ? out : same, &o));
                o.available = available;
                CHECK_STATUS(LOCUS_OK, neighbours(&p, &of, k, (first ? out : same) + n * k, &o));
                if (first) continue;
                for (i = 0; i < (n + 40) * k; i++) // the same with every instruction set and number of threads
                    if (out[i].index != same[i].index ||
                        (out[i].index != SIZE_MAX && memcmp(&out[i].distance, &same[i].distance, sizeof(float)) != 0))
                        break;
                CHECK_SIZE((n + 40) * k, i);
            }
        }
        for (i = 0; i < n; i++) check_neighbours(out + i * k, apart + i * n, n, k, i, NULL);
        for (i = 0; i < 40; i++) {
            size_t j;
            for (j = 0; j < n; j++) row[j] = far_apart(m, y + i * d, x + j * d, d);
            check_neighbours(out + (n + i) * k, row, n, k, SIZE_MAX, available);
        }
        free(x), free(y), free(apart), free(row), free(out), free(same), free(available);
    }
}

static void neighbours_of_equal_rows_are_the_first(void)
{
    const size_t n = 500, d = 20, k = 6;
    float *x = normals(n * d, 1.0, 8);
    locus_neighbour *out = (locus_neighbour *)xmalloc(n * k * sizeof *out);
    locus_points p = points_of(x, n, d);
    locus_metric m;
    size_t i, j;
    EACH_METRIC(m)
    {
        const ways o = opts_of(m, 0, NULL);
        size_t wrong = 0;
        context("%s", metric_names[m]);
        for (i = 0; i < d; i++) x[i] = fabsf(x[i]) / (fabsf(x[i]) + 1.0f);
        for (i = d; i < n * d; i++) x[i] = x[i % d]; // all rows the same
        CHECK_STATUS(LOCUS_OK, neighbours(&p, NULL, k, out, &o));
        for (i = 0; i < n; i++)
            for (j = 0; j < k; j++) {
                wrong += out[i * k + j].index != (i <= j ? j + 1 : j);
                if (m != LOCUS_DISAGREEMENT) wrong += out[i * k + j].distance > 0.0f;
            }
        CHECK_SIZE(0, wrong);
    }
    memset(x, 0, n * d * sizeof *x); // rows of zeros: at 1 from all, for cosine
    CHECK_STATUS(LOCUS_OK, neighbours(&p, NULL, k, out, NULL));
    CHECK_SIZE(1, out[0].index);
    CHECK_NEAR(1.0, (double)out[0].distance, 0.0);
    CHECK_SIZE(0, out[(n - 1) * k].index);
    free(x), free(out);
}

static void neighbours_follow_their_rows(void)
{
    const size_t n = 400, d = 16, k = 7;
    locus_metric m;
    size_t i, j;
    EACH_METRIC(m)
    {
        float *x = families(n, d, 30, 0.1, m, 91), *y = floats(n * d);
        locus_neighbour *a = (locus_neighbour *)xmalloc(n * k * sizeof *a),
                        *b = (locus_neighbour *)xmalloc(n * k * sizeof *b);
        locus_points p = points_of(x, n, d), q = points_of(y, n, d);
        const ways o = opts_of(m, 0, NULL);
        size_t wrong = 0;
        for (i = 0; i < n; i++)
            memcpy(y + (i * 7 % n) * d, x + i * d, d * sizeof *y); // 7 and 400 have no common factor
        CHECK_STATUS(LOCUS_OK, neighbours(&p, NULL, k, a, &o));
        CHECK_STATUS(LOCUS_OK, neighbours(&q, NULL, k, b, &o));
        for (i = 0; i < n; i++)
            for (j = 0; j < k; j++) {
                const locus_neighbour *u = &a[i * k + j], *v = &b[(i * 7 % n) * k + j];
                wrong += fabsf(u->distance - v->distance) > 0.0f;
                if ((j == 0 || u->distance > u[-1].distance) && (j + 1 == k || u->distance < u[1].distance) &&
                    j + 1 < k)
                    wrong += v->index != u->index * 7 % n;
            }
        CHECK_SIZE(0, wrong);
        free(x), free(y), free(a), free(b);
    }
}

// An outlier makes terms large; the slack for rounding must grow with them and still find the right ones.
static void neighbours_survive_outliers(void)
{
    const size_t n = 600, d = 24, k = 5;
    float *x = families(n, d, 20, 1e-4, LOCUS_EUCLIDEAN, 17);
    double *apart;
    locus_neighbour *out = (locus_neighbour *)xmalloc(n * k * sizeof *out);
    const ways o = opts_of(LOCUS_EUCLIDEAN, 0, NULL);
    locus_points p = points_of(x, n, d);
    size_t i;
    for (i = 0; i < d; i++) x[300 * d + i] *= 1e6f;
    apart = all_apart(LOCUS_EUCLIDEAN, x, n, d);
    CHECK_STATUS(LOCUS_OK, neighbours(&p, NULL, k, out, &o));
    for (i = 0; i < n; i++) check_neighbours(out + i * k, apart + i * n, n, k, i, NULL);
    free(x), free(apart), free(out);
}

// ---------------------------------------------------------------------------------------------------- clusters

// Agglomeration by looking at all pairs of clusters each time. heights [n - 1]; Ward: from the rows' means.
static void naive_tree(const double *apart, const float *x, size_t n, size_t d, locus_linkage linkage,
                       locus_merge *merges)
{
    size_t *of = (size_t *)xmalloc(n * sizeof *of), i, j, step, u;
    for (i = 0; i < n; i++) of[i] = i;
    for (step = 0; step + 1 < n; step++) {
        size_t best_a = 0, best_b = 0, size = 0;
        double least = HUGE_VAL;
        size_t a, b;
        for (a = 0; a < n + step; a++)
            for (b = a + 1; b < n + step; b++) {
                double sum = 0.0, most = 0.0, few = HUGE_VAL, na = 0.0, nb = 0.0, h;
                for (i = 0; i < n; i++) na += of[i] == a, nb += of[i] == b;
                if (na < 1.0 || nb < 1.0) continue;
                for (i = 0; i < n; i++)
                    for (j = 0; of[i] == a && j < n; j++)
                        if (of[j] == b) {
                            sum += apart[i * n + j];
                            most = fmax(most, apart[i * n + j]);
                            few = fmin(few, apart[i * n + j]);
                        }
                h = linkage == LOCUS_AVERAGE ? sum / (na * nb) : linkage == LOCUS_COMPLETE ? most : few;
                if (linkage == LOCUS_WARD) {
                    h = 0.0;
                    for (u = 0; u < d; u++) {
                        double ma = 0.0, mb = 0.0;
                        for (i = 0; i < n; i++) {
                            if (of[i] == a) ma += (double)x[i * d + u] / na;
                            if (of[i] == b) mb += (double)x[i * d + u] / nb;
                        }
                        h += (ma - mb) * (ma - mb);
                    }
                    h = sqrt(2.0 * na * nb / (na + nb) * h);
                }
                if (h < least) {
                    least = h;
                    best_a = a, best_b = b;
                    size = (size_t)(na + nb);
                }
            }
        merges[step].a = best_a, merges[step].b = best_b, merges[step].height = least, merges[step].size = size;
        for (i = 0; i < n; i++)
            if (of[i] == best_a || of[i] == best_b) of[i] = n + step;
    }
    free(of);
}

static void check_tree(const locus_merge *m, size_t n)
{
    unsigned char *used = (unsigned char *)xmalloc(2 * n);
    size_t i, wrong = 0;
    memset(used, 0, 2 * n);
    for (i = 0; i + 1 < n; i++) {
        wrong += m[i].a >= m[i].b || m[i].b >= n + i || used[m[i].a]++ || used[m[i].b]++;
        if (wrong) break;
        wrong += m[i].size != (m[i].a < n ? 1 : m[m[i].a - n].size) + (m[i].b < n ? 1 : m[m[i].b - n].size);
        wrong += i > 0 && m[i].height < m[i - 1].height;
    }
    CHECK_SIZE(0, wrong);
    free(used);
}

static int one_linkage(locus_metric m, locus_linkage l)
{
    return l != LOCUS_WARD || m == LOCUS_EUCLIDEAN || m == LOCUS_RMS;
}

static void trees_match_naive_agglomeration(void)
{
    static const size_t shapes[][3] = {{1, 2, 1}, {2, 2, 1}, {3, 5, 2}, {40, 7, 3}, {70, 20, 5}};
    locus_metric m;
    size_t s, i, kind;
    int l, isa;
    EACH_METRIC(m) for (s = 0; s < COUNT(shapes); s++) for (l = LOCUS_AVERAGE; l <= LOCUS_WARD; l++)
    {
        const size_t n = shapes[s][0], d = shapes[s][1];
        float *x = families(n, d, shapes[s][2], 0.3, m, 7 * s + 9);
        double *apart = all_apart(m, x, n, d);
        locus_merge *naive = (locus_merge *)xmalloc(n * sizeof *naive), *out = (locus_merge *)xmalloc(n * sizeof *out);
        locus_points p = points_of(x, n, d);
        if (one_linkage(m, (locus_linkage)l)) {
            naive_tree(apart, x, n, d, (locus_linkage)l, naive);
            for (i = 0; m == LOCUS_RMS && l == LOCUS_WARD && i + 1 < n; i++) naive[i].height /= sqrt((double)d);
            for (isa = 1; isa < LOCUS_ISA_COUNT; isa++)
                for (kind = 0; kind < THREAD_KINDS && locus_isa_supported((locus_isa)isa); kind += 2) {
                    const ways o = opts_of(m, isa, parallel_of(kind));
                    context("%s, linkage %d, n %zu, %s", metric_names[m], l, n, locus_isa_name((locus_isa)isa));
                    CHECK_STATUS(LOCUS_OK, cluster(&p, (locus_linkage)l, out, &o));
                    check_tree(out, n);
                    for (i = 0; i + 1 < n; i++) {
                        CHECK_NEAR(naive[i].height, out[i].height, 2e-6 * (1e-3 + naive[i].height));
                        CHECK_SIZE(naive[i].a, out[i].a);
                        CHECK_SIZE(naive[i].b, out[i].b);
                        CHECK_SIZE(naive[i].size, out[i].size);
                    }
                }
        }
        free(x), free(apart), free(naive), free(out);
    }
}

// Prim's tree in double: the sorted edges are single linkage's heights.
static double *prim(const double *apart, size_t n)
{
    double *near = (double *)xmalloc(n * sizeof *near), *edges = (double *)xmalloc(n * sizeof *edges);
    size_t i, step, at = 0;
    for (i = 0; i < n; i++) near[i] = HUGE_VAL;
    for (step = 0; step + 1 < n; step++) {
        size_t best = 0;
        near[at] = -1.0;
        for (i = 0; i < n; i++) {
            if (near[i] >= 0.0 && apart[at * n + i] < near[i]) near[i] = apart[at * n + i];
            if (near[i] >= 0.0 && (near[best] < 0.0 || near[i] < near[best])) best = i;
        }
        edges[step] = near[best];
        at = best;
    }
    for (step = 0; step + 1 < n; step++) // insertion sort
        for (i = step; i > 0 && edges[i] < edges[i - 1]; i--) {
            const double swap = edges[i];
            edges[i] = edges[i - 1];
            edges[i - 1] = swap;
        }
    free(near);
    return edges;
}

// As near as the distances are.
static void single_linkage_is_the_spanning_tree(void)
{
    static const size_t shapes[][2] = {{900, 30}, {900, 3}, {900, 1}, {600, 600}, {300, 12}};
    locus_metric m;
    size_t s, i, kind;
    EACH_METRIC(m) for (s = 0; s < COUNT(shapes); s++)
    {
        const size_t n = shapes[s][0], d = 10;
        float *x = families(n, d, shapes[s][1], 0.05, m, 3 * s + 70);
        double *apart, *edges;
        locus_merge *out = (locus_merge *)xmalloc(n * sizeof *out), *same = (locus_merge *)xmalloc(n * sizeof *out);
        locus_points p = points_of(x, n, d);
        if (s == 4) // ties of all kinds: equal rows, and a few places only
            for (i = 0; i < n * d; i++) x[i] = m == LOCUS_DISAGREEMENT ? x[i] < 0.5f : (float)(int)(x[i] * 2.0f);
        apart = all_apart(m, x, n, d);
        edges = prim(apart, n);
        for (kind = 0; kind < THREAD_KINDS; kind++) {
            const ways o = opts_of(m, 0, parallel_of(kind));
            context("%s, shape %zu, threads %zu", metric_names[m], s, kind);
            CHECK_STATUS(LOCUS_OK, cluster(&p, LOCUS_SINGLE, kind ? same : out, &o));
            if (kind) CHECK(memcmp(out, same, (n - 1) * sizeof *out) == 0);
        }
        check_tree(out, n);
        for (i = 0; i + 1 < n; i++) CHECK_NEAR(edges[i], out[i].height, 1e-6 + 1e-5 * edges[i]);
        free(x), free(apart), free(edges), free(out), free(same);
    }
}

static void trees_of_equal_rows_are_flat(void)
{
    const size_t n = 200, d = 4;
    float *x = floats(n * d);
    locus_merge *out = (locus_merge *)xmalloc(n * sizeof *out);
    locus_points p = points_of(x, n, d);
    const ways o = opts_of(LOCUS_EUCLIDEAN, 0, NULL);
    size_t i;
    int l;
    for (i = 0; i < n * d; i++) x[i] = 0.25f;
    for (l = LOCUS_AVERAGE; l <= LOCUS_WARD; l++) {
        context("linkage %d", l);
        CHECK_STATUS(LOCUS_OK, cluster(&p, (locus_linkage)l, out, &o));
        check_tree(out, n);
        CHECK_NEAR(0.0, out[n - 2].height, 0.0);
        CHECK_SIZE(n, out[n - 2].size);
    }
    free(x), free(out);
}

static void cuts_follow_the_tree(void)
{
    const size_t n = 60, d = 5;
    float *x = families(n, d, 6, 0.2, LOCUS_EUCLIDEAN, 55);
    locus_merge *tree = (locus_merge *)xmalloc(n * sizeof *tree);
    size_t label[60], other[60], clusters = 0, count, i, j;
    locus_points p = points_of(x, n, d);
    const ways o = opts_of(LOCUS_EUCLIDEAN, 0, NULL);
    CHECK_STATUS(LOCUS_OK, cluster(&p, LOCUS_AVERAGE, tree, &o));
    for (count = 1; count <= n; count++) {
        size_t wrong = 0, next = 0, of[120];
        CHECK_STATUS(LOCUS_OK, cut(tree, n, count, 0.0, label, &clusters, NULL));
        CHECK_SIZE(count, clusters);
        for (i = 0; i < 2 * n - 1; i++) of[i] = i;
        for (i = 0; i + count < n; i++) of[tree[i].a] = of[tree[i].b] = n + i;
        for (i = 0; i < n; i++) { // numbered by first row, and together exactly where the tree says so
            size_t a = i;
            wrong += label[i] > next;
            if (label[i] == next) next++;
            while (of[a] != a) a = of[a];
            for (j = 0; j < i; j++) {
                size_t b = j;
                while (of[b] != b) b = of[b];
                wrong += (a == b) != (label[i] == label[j]);
            }
        }
        CHECK_SIZE(0, wrong);
        CHECK_SIZE(count, next);
        if (count < n) { // by height: just above the last merge done
            CHECK_STATUS(LOCUS_OK, cut(tree, n, 0, tree[n - count - 1].height, other, NULL, NULL));
            CHECK(memcmp(label, other, sizeof label) == 0);
        }
    }
    CHECK_STATUS(LOCUS_OK, cut(tree, n, 0, -1.0, label, &clusters, NULL));
    CHECK_SIZE(n, clusters);
    // what is no tree
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, cut(tree, n, n + 1, 0.0, label, NULL, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, cut(tree, n, 0, (double)f_nan(), label, NULL, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, cut(NULL, n, 2, 0.0, label, NULL, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, cut(tree, n, 2, 0.0, NULL, NULL, NULL));
    for (i = 0; i < 5; i++) {
        const locus_merge was = tree[20];
        if (i == 0) tree[20].b = n + 20;
        if (i == 1) tree[20].a = tree[20].b;
        if (i == 2) tree[20].height = (double)f_nan();
        if (i == 3) tree[20].height = -1.0;
        if (i == 4) tree[20].a = tree[0].a, tree[20].b = tree[0].b; // used before
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, cut(tree, n, 1, 0.0, label, NULL, NULL));
        tree[20] = was;
    }
    CHECK_STATUS(LOCUS_OK, cut(NULL, 0, 0, 1.0, NULL, &clusters, NULL));
    CHECK_SIZE(0, clusters);
    CHECK_STATUS(LOCUS_OK, cut(NULL, 1, 1, 0.0, label, &clusters, NULL));
    CHECK_SIZE(1, clusters);
    free(x), free(tree);
}

// ---------------------------------------------------------------------------------------------------- medoids

static double set_sum(const double *apart, size_t n, const size_t *set, size_t k)
{
    double sum = 0.0;
    size_t i, m;
    for (i = 0; i < n; i++) {
        double near = HUGE_VAL;
        for (m = 0; m < k; m++) near = fmin(near, apart[i * n + set[m]]);
        sum += near;
    }
    return sum;
}

static void medoids_cannot_be_bettered_by_a_swap(void)
{
    static const size_t ks[] = {1, 2, 5, 24, 80};
    const size_t n = 80, d = 6;
    locus_metric m;
    size_t s, i, x, kind, picks[80], label[80], again[80];
    EACH_METRIC(m) for (s = 0; s < COUNT(ks); s++)
    {
        const size_t k = ks[s];
        float *rows = families(n, d, 7, 0.4, m, 5 * s + 400);
        double *apart = all_apart(m, rows, n, d), mean = 0.0, sum, least = HUGE_VAL;
        unsigned char available[80];
        locus_points p = points_of(rows, n, d);
        ways o = opts_of(m, 0, NULL);
        size_t wrong = 0, better = 0;
        context("%s, k %zu", metric_names[m], k);
        CHECK_STATUS(LOCUS_OK, medoids(&p, k, picks, label, &mean, &o));
        sum = set_sum(apart, n, picks, k);
        CHECK_NEAR(sum / (double)n, mean, 1e-6);
        for (i = 1; i < k; i++) wrong += picks[i] <= picks[i - 1];
        for (i = 0; i < n; i++) {
            wrong += label[i] >= k;
            for (x = 0; x < k && label[i] < k; x++)
                wrong += apart[i * n + picks[x]] < apart[i * n + picks[label[i]]] - 1e-6;
        }
        for (i = 0; i < k; i++)
            for (x = 0; x < n; x++) {
                const size_t was = picks[i];
                picks[i] = x;
                better += set_sum(apart, n, picks, k) < sum - 1e-5;
                picks[i] = was;
            }
        CHECK_SIZE(0, wrong);
        CHECK_SIZE(0, better);
        for (i = 0; k == 2 && i < n; i++) // not far from the best pair there is
            for (x = 0; x < i; x++) {
                size_t pair[2];
                pair[0] = x, pair[1] = i;
                least = fmin(least, set_sum(apart, n, pair, 2));
            }
        if (k == 2) CHECK(sum < 1.02 * least);
        for (kind = 1; kind < THREAD_KINDS; kind++) {
            o.run.parallel = parallel_of(kind);
            CHECK_STATUS(LOCUS_OK, medoids(&p, k, again, NULL, NULL, &o));
            CHECK(memcmp(picks, again, k * sizeof *picks) == 0);
        }
        for (i = 0; i < n; i++) available[i] = i >= 40;
        o.available = available;
        if (k <= 40) {
            CHECK_STATUS(LOCUS_OK, medoids(&p, k, again, NULL, &mean, &o));
            for (i = 0; i < k; i++) CHECK(again[i] >= 40);
            CHECK(mean >= sum / (double)n - 1e-6);
        } else CHECK_STATUS(LOCUS_ERR_ARGUMENT, medoids(&p, k, again, NULL, &mean, &o));
        free(rows), free(apart);
    }
}

// ---------------------------------------------------------------------------------------------------- by geometry

static void check_centers(const double *apart, size_t n, const size_t *picks, const float *radius, size_t k,
                          size_t from)
{
    size_t i, j, m;
    for (m = from; m <= k; m++) {
        double most = 0.0, farthest = 0.0, of_pick = 0.0;
        for (i = 0; i < n; i++) {
            double near = HUGE_VAL;
            for (j = 0; j < m; j++) near = fmin(near, i == picks[j] ? 0.0 : apart[i * n + picks[j]]);
            most = fmax(most, near);
            farthest = most;
            if (m < k && i == picks[m]) of_pick = near;
        }
        CHECK_NEAR(most, (double)radius[m - 1], 2e-6 + 2e-5 * most);
        if (m < k) CHECK_NEAR(farthest, of_pick, 2e-6 + 2e-5 * most);
    }
}

static void centers_are_the_farthest(void)
{
    const size_t n = 250, d = 12, k = 30;
    locus_metric m;
    size_t i, j, kind;
    int isa;
    EACH_METRIC(m)
    {
        float *x = families(n, d, 8, 0.5, m, 222), radius[30], radius2[30];
        double *apart = all_apart(m, x, n, d), least = HUGE_VAL, mine = 0.0;
        size_t picks[30], again[30];
        unsigned char available[250];
        locus_points p = points_of(x, n, d);
        ways o = opts_of(m, 0, NULL);
        context("%s", metric_names[m]);
        CHECK_STATUS(LOCUS_OK, centers(&p, k, picks, radius, &o));
        check_centers(apart, n, picks, radius, k, 1);
        for (i = 0; i < n; i++) { // starts from the 1-medoid
            double sum = 0.0;
            for (j = 0; j < n; j++) sum += apart[i * n + j];
            least = fmin(least, sum);
            if (i == picks[0]) mine = sum;
        }
        CHECK_NEAR(least, mine, 1e-5 * least);
        for (j = 1; j <= k; j += 9) { // nested
            CHECK_STATUS(LOCUS_OK, centers(&p, j, again, NULL, &o));
            CHECK(memcmp(picks, again, j * sizeof *picks) == 0);
        }
        for (isa = 0; isa < LOCUS_ISA_COUNT; isa++)
            for (kind = 0; kind < THREAD_KINDS && locus_isa_supported((locus_isa)isa); kind++) {
                o = opts_of(m, isa, parallel_of(kind));
                CHECK_STATUS(LOCUS_OK, centers(&p, k, again, radius2, &o));
                if (!isa) CHECK_SAME("radius", radius, radius2, k);
                CHECK(memcmp(picks, again, sizeof picks) == 0);
            }
        for (i = 0; i < n; i++) available[i] = i % 5 == 0;
        o.available = available;
        CHECK_STATUS(LOCUS_OK, centers(&p, k, again, radius2, &o));
        for (i = 0; i < k; i++) CHECK(again[i] % 5 == 0);
        for (i = 1; i < k; i++) CHECK(radius2[i] <= radius2[i - 1]);
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, centers(&p, 51, (size_t *)apart, NULL, &o));
        free(x), free(apart);
    }
}

static void centers_of_many_start_near_the_mean(void)
{
    const size_t n = 4097, d = 3, k = 4;
    locus_metric m;
    size_t i, j, kind;
    EACH_METRIC(m)
    {
        float *x = families(n, d, 40, 0.3, m, 333), radius[4];
        size_t picks[4], again[4];
        double mean[3] = {0.0, 0.0, 0.0}, least = HUGE_VAL, mine = 0.0;
        locus_points p = points_of(x, n, d);
        ways o = opts_of(m, 0, NULL);
        context("%s", metric_names[m]);
        CHECK_STATUS(LOCUS_OK, centers(&p, k, picks, radius, &o));
        for (i = 0; i < n; i++) {
            double length = 0.0;
            for (j = 0; j < d; j++) length += (double)x[i * d + j] * (double)x[i * d + j];
            if (m != LOCUS_COSINE) length = 1.0;
            for (j = 0; j < d; j++) mean[j] += (double)x[i * d + j] / sqrt(length) / (double)n;
        }
        for (i = 0; i < n; i++) {
            float to[3];
            double a;
            for (j = 0; j < d; j++) to[j] = (float)mean[j];
            a = far_apart(m, to, x + i * d, d);
            least = fmin(least, a);
            if (i == picks[0]) mine = a;
        }
        CHECK_NEAR(least, mine, 1e-6);
        for (i = 1; i < k; i++) CHECK(radius[i] <= radius[i - 1]);
        for (kind = 1; kind < THREAD_KINDS; kind++) {
            o.run.parallel = parallel_of(kind);
            CHECK_STATUS(LOCUS_OK, centers(&p, k, again, NULL, &o));
            CHECK(memcmp(picks, again, sizeof picks) == 0);
        }
        free(x);
    }
}

static void centers_of_equal_rows_are_all_of_them(void)
{
    float x[40] = {0.0f};
    size_t picks[20], i;
    float radius[20];
    locus_points p = points_of(x, 20, 2);
    for (i = 0; i < 40; i++) x[i] = 0.5f;
    CHECK_STATUS(LOCUS_OK, centers(&p, 20, picks, radius, NULL));
    for (i = 0; i < 20; i++) {
        CHECK_SIZE(i, picks[i]);
        CHECK_NEAR(0.0, (double)radius[i], 0.0);
    }
}

// ---------------------------------------------------------------------------------------------------- arguments

typedef struct calls {
    size_t made, stop_at, last, total, disorder;
} calls;

static int count_calls(void *user, size_t done, size_t total)
{
    calls *c = (calls *)user;
    c->disorder += done > total;
    c->last = done, c->total = total;
    return ++c->made == c->stop_at;
}

enum { ENTRIES = 8 };

// Every function that takes points
static locus_status entry(size_t which, const locus_points *p, const ways *o)
{
    static size_t picks[512];
    static float d[512 * 512];
    static locus_neighbour nearest[512 * 3];
    static locus_merge merges[512];
    g_err.message[0] = 0;
    switch (which) {
    case 0: return distances(p, NULL, d, o);
    case 1: return neighbours(p, NULL, 3, nearest, o);
    case 2: return cluster(p, LOCUS_AVERAGE, merges, o);
    case 3: return cluster(p, LOCUS_COMPLETE, merges, o);
    case 4: return cluster(p, LOCUS_SINGLE, merges, o);
    case 5: return cluster(p, LOCUS_WARD, merges, o);
    case 6: return medoids(p, 2, picks, NULL, NULL, o);
    default: return centers(p, 2, picks, NULL, o);
    }
}

static void bad_points_are_refused(void)
{
    const size_t n = 500, d = 6;
    float *x = families(n, d, 5, 0.5, LOCUS_DISAGREEMENT, 12);
    size_t e, i;
    for (e = 0; e < ENTRIES; e++) {
        locus_points p = points_of(x, n, d);
        ways o = opts_of(LOCUS_EUCLIDEAN, 0, parallel_of(2));
        const float was = x[44 * d + 3], bad[] = {f_nan(), f_inf(), -f_inf(), 1e19f, -3e38f};
        calls c;
        context("entry %zu", e);
        CHECK_GOT(LOCUS_ERR_ARGUMENT, entry(e, NULL, &o));
        for (i = 0; i < COUNT(bad); i++) {
            x[44 * d + 3] = bad[i];
            CHECK_GOT(LOCUS_ERR_NONFINITE, entry(e, &p, &o));
            CHECK_MESSAGE("[44, 3]");
        }
        x[44 * d + 3] = 1.5f;
        o.metric = LOCUS_DISAGREEMENT;
        CHECK_GOT(LOCUS_ERR_ARGUMENT, entry(e, &p, &o));
        x[44 * d + 3] = was;
        o.metric = (locus_metric)7;
        CHECK_GOT(LOCUS_ERR_ARGUMENT, entry(e, &p, &o));
        o.metric = LOCUS_EUCLIDEAN;
        p.stride = d - 1;
        CHECK_GOT(LOCUS_ERR_ARGUMENT, entry(e, &p, &o));
        p.stride = 0, p.dim = 0;
        CHECK_GOT(LOCUS_ERR_ARGUMENT, entry(e, &p, &o));
        p.dim = d, p.rows = NULL;
        CHECK_GOT(LOCUS_ERR_ARGUMENT, entry(e, &p, &o));
        p.rows = x, p.count = SIZE_MAX / 3;
        CHECK_GOT(LOCUS_ERR_ARGUMENT, entry(e, &p, &o));
        p.count = SIZE_MAX - 2;
        CHECK_GOT(LOCUS_ERR_ARGUMENT, entry(e, &p, &o));
        p.count = n;
        o.run.isa = (locus_isa)99;
        if (e != 5) { // Ward has no product
            CHECK_GOT(LOCUS_ERR_ISA, entry(e, &p, &o));
        }
        o.run.isa = LOCUS_ISA_AUTO;
        // progress: called, in order, and obeyed
        ZERO(c);
        o.run.progress = count_calls, o.run.user = &c;
        CHECK_GOT(LOCUS_OK, entry(e, &p, &o));
        CHECK(c.made >= 2 && c.disorder == 0);
        CHECK_SIZE(c.total, c.last);
        ZERO(c);
        c.stop_at = 1;
        CHECK_GOT(LOCUS_ERR_CANCELLED, entry(e, &p, &o));
        CHECK_SIZE(1, c.made);
    }
    free(x);
}

static void few_rows_are_fine(void)
{
    float x[6] = {0.1f, 0.2f, 0.9f, 0.3f, 0.5f, 0.5f}, d[4];
    size_t picks[3], label[3];
    double mean = 9.0;
    locus_neighbour near[6];
    locus_merge merge;
    locus_points none = points_of(NULL, 0, 0), p = points_of(x, 1, 2), q = points_of(x, 3, 2), r = points_of(x, 2, 3);
    CHECK_STATUS(LOCUS_OK, distances(&none, NULL, NULL, NULL));
    CHECK_STATUS(LOCUS_OK, neighbours(&none, NULL, 3, NULL, NULL));
    CHECK_STATUS(LOCUS_OK, neighbours(&p, NULL, 0, NULL, NULL));
    CHECK_STATUS(LOCUS_OK, cluster(&none, LOCUS_AVERAGE, NULL, NULL));
    CHECK_STATUS(LOCUS_OK, cluster(&p, LOCUS_SINGLE, NULL, NULL));
    CHECK_STATUS(LOCUS_OK, medoids(&none, 0, NULL, NULL, NULL, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, medoids(&none, 1, picks, NULL, NULL, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, medoids(&p, 0, picks, NULL, NULL, NULL));
    CHECK_STATUS(LOCUS_OK, centers(&none, 0, NULL, NULL, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, centers(&none, 1, picks, NULL, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, centers(&q, 4, picks, NULL, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, centers(&q, 2, NULL, NULL, NULL));
    CHECK_STATUS(LOCUS_OK, medoids(&p, 1, picks, label, &mean, NULL));
    CHECK(picks[0] == 0 && label[0] == 0 && mean <= 0.0);
    CHECK_STATUS(LOCUS_OK, centers(&p, 1, picks, d, NULL));
    CHECK(picks[0] == 0 && d[0] <= 0.0f);
    CHECK_STATUS(LOCUS_OK, neighbours(&p, NULL, 2, near, NULL));
    CHECK(near[0].index == SIZE_MAX && near[1].index == SIZE_MAX);
    CHECK_STATUS(LOCUS_OK, neighbours(&none, &q, 2, near, NULL));
    CHECK(near[0].index == SIZE_MAX && near[5].index == SIZE_MAX);
    { // none available
        const unsigned char closed[3] = {0, 0, 0};
        ways o = opts_of(LOCUS_COSINE, 0, NULL);
        o.available = closed;
        CHECK_STATUS(LOCUS_OK, neighbours(&q, NULL, 2, near, &o));
        CHECK(near[0].index == SIZE_MAX && near[5].index == SIZE_MAX);
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, centers(&q, 1, picks, NULL, &o));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, medoids(&q, 1, picks, NULL, NULL, &o));
    }
    // arguments of one function only
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, distances(&q, &r, d, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, neighbours(&q, &r, 2, near, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, distances(&q, NULL, NULL, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, neighbours(&q, NULL, 2, NULL, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, neighbours(&q, NULL, SIZE_MAX / 2, near, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, cluster(&q, LOCUS_AVERAGE, NULL, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, cluster(&q, (locus_linkage)4, &merge, NULL));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, cluster(&q, LOCUS_WARD, &merge, NULL));
}

// ---------------------------------------------------------------------------------------------------- all of them

static const test_case tests[] = {
    TEST(profiles_are_the_predicted_chances),
    TEST(distances_match_double),
    TEST(distances_are_symmetric_and_local),
    TEST(neighbours_match_brute_force),
    TEST(neighbours_of_equal_rows_are_the_first),
    TEST(neighbours_follow_their_rows),
    TEST(neighbours_survive_outliers),
    TEST(trees_match_naive_agglomeration),
    TEST(single_linkage_is_the_spanning_tree),
    TEST(trees_of_equal_rows_are_flat),
    TEST(cuts_follow_the_tree),
    TEST(medoids_cannot_be_bettered_by_a_swap),
    TEST(centers_are_the_farthest),
    TEST(centers_of_many_start_near_the_mean),
    TEST(centers_of_equal_rows_are_all_of_them),
    TEST(bad_points_are_refused),
    TEST(few_rows_are_fine),
};

MAIN(tests)
