// SPDX-License-Identifier: MIT
// Places of points in the plane: principal components, and t-SNE (van der Maaten and Hinton 2008).

#include "pictures.h"

// ------------------------------------------------------------------------------------------------- leading directions

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; ++i) sum += a[i] * b[i];
    return sum;
}

static void scale(double *a, double factor, size_t n)
{
    for (size_t i = 0; i < n; ++i) a[i] *= factor;
}

// A start that favours no direction: fixed, and not smooth.
static void scattered_start(double *v, size_t n)
{
    unsigned long state = 12345;
    for (size_t i = 0; i < n; ++i) {
        state = (state * 1103515245ul + 12345ul) & 0x7ffffffful;
        v[i] = (double)state / 1073741824.0 - 1.0;
    }
}

typedef void (*symmetric_operator)(const void *user, const double *v, double *out, size_t n);

// The two orthonormal directions v[2, n] of largest eigenvalues of a symmetric operator, by simultaneous iteration.
// Each points where its largest coordinate is positive.
static double *leading_directions(symmetric_operator apply, const void *user, size_t n, size_t iterations,
                                  double eigenvalue[2])
{
    double *a = take(3 * n, sizeof *a), *b = a + n, *work = b + n;
    scattered_start(a, 2 * n);
    for (size_t step = 0; step <= iterations; ++step) {
        double aa = dot(a, a, n), before = dot(b, b, n), ab, bb;
        scale(a, aa > 0.0 ? 1.0 / sqrt(aa) : 0.0, n);
        ab = dot(a, b, n);
        for (size_t i = 0; i < n; ++i) b[i] -= ab * a[i];
        bb = dot(b, b, n);
        if (bb <= 1e-20 * before) bb = 0.0; // nothing is left of it: there is one direction only
        scale(b, bb > 0.0 ? 1.0 / sqrt(bb) : 0.0, n);
        for (double *v = a; step < iterations && v <= b; v += n) {
            apply(user, v, work, n);
            memcpy(v, work, n * sizeof *v);
        }
    }
    for (size_t k = 0; k < 2; ++k) {
        double *v = a + k * n;
        size_t largest = 0;
        for (size_t i = 0; i < n; ++i)
            if (fabs(v[i]) > fabs(v[largest]) + 1e-12) largest = i;
        scale(v, n && v[largest] < 0.0 ? -1.0 : 1.0, n);
        apply(user, v, work, n);
        eigenvalue[k] = dot(v, work, n);
    }
    return a;
}

typedef struct centred_rows {
    locus_points points;
    double *mean, *scores; // [dim], [count]
} centred_rows;

static void apply_covariance(const void *user, const double *v, double *out, size_t dim)
{
    const centred_rows *c = user;
    const double shift = dot(c->mean, v, dim);
    double total = 0.0;
    memset(out, 0, dim * sizeof *out);
    for (size_t i = 0; i < c->points.count; ++i) {
        const float *row = c->points.rows + i * c->points.stride;
        double score = -shift;
        for (size_t k = 0; k < dim; ++k) score += (double)row[k] * v[k];
        c->scores[i] = score;
        total += score;
        for (size_t k = 0; k < dim; ++k) out[k] += score * (double)row[k];
    }
    for (size_t k = 0; k < dim; ++k) out[k] -= total * c->mean[k];
}

void principal_components(const locus_points *points, float *xy, double *share)
{
    const size_t n = points->count, dim = points->dim;
    double *work = take(dim, sizeof *work), eigenvalue[2] = {0.0, 0.0}, variance = 0.0;
    centred_rows c = {.points = *points, .mean = take(dim, sizeof(double)), .scores = take(n, sizeof(double))};
    if (!c.points.stride) c.points.stride = dim;
    for (size_t i = 0; i < n; ++i)
        for (size_t k = 0; k < dim; ++k) c.mean[k] += (double)c.points.rows[i * c.points.stride + k] / (double)n;
    for (size_t i = 0; i < n; ++i)
        for (size_t k = 0; k < dim; ++k) {
            double d = (double)c.points.rows[i * c.points.stride + k] - c.mean[k];
            variance += d * d;
        }
    const double *v = leading_directions(apply_covariance, &c, dim, n > 3000 ? 60 : 200, eigenvalue);
    for (size_t k = 0; k < 2; ++k) {
        double largest = 0.0;
        apply_covariance(&c, v + k * dim, work, dim);
        for (size_t i = 0; i < n; ++i)
            if (fabs(c.scores[i]) > fabs(largest) * (1.0 + 1e-9)) largest = c.scores[i];
        for (size_t i = 0; i < n; ++i) xy[2 * i + k] = (float)(largest < 0.0 ? -c.scores[i] : c.scores[i]);
        share[k] = variance > 0.0 ? eigenvalue[k] / variance : 0.0;
    }
}

// ----------------------------------------------------------------------------------------------------------------- map

// -1/2 of the squared distances, centred both ways: the Gram matrix of points that lie so (Torgerson 1952).
static void apply_gram(const void *user, const double *v, double *out, size_t n)
{
    const float *distances = user;
    double mean_in = 0.0, mean_out = 0.0;
    for (size_t i = 0; i < n; ++i) mean_in += v[i] / (double)n;
    for (size_t i = 0; i < n; ++i) {
        const float *d = distances + i * n;
        double sum = 0.0;
        for (size_t j = 0; j < n; ++j) sum += (double)d[j] * (double)d[j] * (v[j] - mean_in);
        out[i] = -0.5 * sum;
        mean_out += out[i] / (double)n;
    }
    for (size_t i = 0; i < n; ++i) out[i] -= mean_out;
}

// p[n] <- how much of a neighbour each is to point i: a Gaussian of the distance, so wide that the entropy is that of
// `perplexity` equal neighbours; the sum is 1.
static void weigh_neighbours(const float *d, size_t n, size_t i, double perplexity, float *p)
{
    double low = 0.0, high = INFINITY, least = INFINITY, mean = 0.0;
    for (size_t j = 0; j < n; ++j)
        if (j != i) {
            double square = (double)d[j] * (double)d[j];
            if (square < least) least = square;
            mean += square / (double)(n - 1);
        }
    for (int step = 0; step < 60; ++step) {
        double sum = 0.0, moment = 0.0, beta = !is_finite(high) ? (low > 0.0 ? 2.0 * low : 1.0) : 0.5 * (low + high);
        for (size_t j = 0; j < n; ++j)
            if (j != i) {
                double x = mean > 0.0 ? ((double)d[j] * (double)d[j] - least) / mean : 0.0, w = exp(-beta * x);
                sum += w;
                moment += x * w;
                p[j] = (float)w;
            }
        for (size_t j = 0; j < n; ++j) p[j] = (float)((double)p[j] / sum);
        double excess = log(sum) + beta * moment / sum - log(perplexity);
        if (fabs(excess) < 1e-4 || beta > 1e9) break; // at the latter so many are equally near
        if (excess > 0.0) low = beta;
        else high = beta;
    }
}

enum { LANES = 8 }; // sums side by side, so that a compiler may use vectors without reordering any

typedef struct plane { // n points, padded to a multiple of LANES
    size_t n, padded;
    float *x, *y, *vx, *vy, *pull, *push; // pull, push: x and y in turn
    float *weights;                       // [n, padded], symmetric, the sum is 1
} plane;

// Pull and push on point i of a t-SNE map; returns the sum of the kernel over all points.
static float point_forces(const plane *m, size_t i)
{
    const float *weights = m->weights + i * m->padded, xi = m->x[i], yi = m->y[i];
    float sums[5][LANES], force[5] = {0};
    memset(sums, 0, sizeof sums);
    for (size_t j = 0; j < m->padded; j += LANES)
        for (size_t l = 0; l < LANES; ++l) {
            float dx = xi - m->x[j + l], dy = yi - m->y[j + l], q = 1.0f / (1.0f + dx * dx + dy * dy);
            float pull = weights[j + l] * q, push = q * q;
            sums[0][l] += pull * dx, sums[1][l] += pull * dy;
            sums[2][l] += push * dx, sums[3][l] += push * dy;
            sums[4][l] += q;
        }
    for (int k = 0; k < 5; ++k)
        for (int l = 0; l < LANES; ++l) force[k] += sums[k][l];
    m->pull[2 * i] = force[0], m->pull[2 * i + 1] = force[1];
    m->push[2 * i] = force[2], m->push[2 * i + 1] = force[3];
    return force[4];
}

static void map_step(const plane *m, float rate, float exaggeration, float momentum)
{
    double total = 0.0, cx = 0.0, cy = 0.0;
    for (size_t i = 0; i < m->n; ++i) total += (double)point_forces(m, i) - 1.0;
    for (size_t i = 0; i < m->n; ++i) {
        float dx = rate * (exaggeration * m->pull[2 * i] - (float)((double)m->push[2 * i] / total));
        float dy = rate * (exaggeration * m->pull[2 * i + 1] - (float)((double)m->push[2 * i + 1] / total));
        float length = sqrtf(dx * dx + dy * dy);
        if (length > 1.0f) dx /= length, dy /= length; // no leaps
        m->vx[i] = momentum * m->vx[i] - dx, m->vy[i] = momentum * m->vy[i] - dy;
        m->x[i] += m->vx[i], m->y[i] += m->vy[i];
        cx += (double)m->x[i] / (double)m->n, cy += (double)m->y[i] / (double)m->n;
    }
    for (size_t i = 0; i < m->n; ++i) m->x[i] -= (float)cx, m->y[i] -= (float)cy;
}

// The points' principal coordinates; a tiny spiral takes equal points apart.
static void start_map(const plane *m, const float *distances)
{
    double eigenvalue[2];
    const double *start = leading_directions(apply_gram, distances, m->n, 100, eigenvalue);
    const double first = eigenvalue[0] > 0.0 ? sqrt(eigenvalue[0]) : 1.0, root = sqrt((double)m->n);
    const double second = eigenvalue[1] > 0.0 ? sqrt(eigenvalue[1]) / first : 0.0;
    for (size_t i = 0; i < m->padded; ++i) m->x[i] = m->y[i] = 1e15f; // too far to count
    for (size_t i = 0; i < m->n; ++i) {
        m->x[i] = (float)(start[i] * root + 1e-3 * cos(2.4 * (double)i));
        m->y[i] = (float)(start[m->n + i] * root * second + 1e-3 * sin(2.4 * (double)i));
    }
}

static void improve_map(const plane *m, const float *distances)
{
    const size_t n = m->n, steps = n <= 1000 ? 600 : 400, early = steps / 4;
    const double perplexity = fmin(fmax((double)(n - 1) / 4.0, 2.0), 20.0), rate = fmax((double)n / 3.0, 16.0);
    float *p = m->weights;
    for (size_t i = 0; i < n; ++i) weigh_neighbours(distances + i * n, n, i, perplexity, p + i * m->padded);
    for (size_t i = 0; i < n; ++i)
        for (size_t j = 0; j < i; ++j)
            p[i * m->padded + j] = p[j * m->padded + i] =
                (p[i * m->padded + j] + p[j * m->padded + i]) / (float)(2 * n);
    for (size_t i = 0; i < n; ++i) m->x[i] *= 0.01f, m->y[i] *= 0.01f;
    for (size_t step = 0; step < steps; ++step)
        map_step(m, (float)rate, step < early ? 4.0f : 1.0f, step < early ? 0.5f : 0.8f);
}

// Move points that lie on one another apart, until each can be seen.
static void spread_points(float *xy, size_t n)
{
    const float room = n < 260 ? 0.028f : 0.45f / sqrtf((float)n);
    int close = 1;
    for (int pass = 0; pass < 40 && close; ++pass) {
        close = 0;
        for (size_t i = 0; i < n; ++i)
            for (size_t j = 0; j < i; ++j) {
                float dx = xy[2 * i] - xy[2 * j], dy = xy[2 * i + 1] - xy[2 * j + 1], d = dx * dx + dy * dy;
                if (d >= 0.98f * room * room) continue;
                d = sqrtf(d);
                float ux = d > 1e-3f * room ? dx / d : cosf(2.4f * (float)i);
                float uy = d > 1e-3f * room ? dy / d : sinf(2.4f * (float)i), push = 0.25f * (room - d);
                xy[2 * i] += push * ux, xy[2 * i + 1] += push * uy;
                xy[2 * j] -= push * ux, xy[2 * j + 1] -= push * uy;
                close = 1;
            }
    }
}

// About within [-1, 1]; exact, so that the same distances always give the same map. O(n^2) time for each of some
// hundred steps (1,000 points: about a second), 4 n^2 bytes. Distances that are no numbers make a poor map, no crash.
void layout_map(const float *distances, size_t n, float *xy)
{
    const size_t padded = (n + LANES - 1) / LANES * LANES;
    float *state = take(8 * padded, sizeof *state), largest = 0.0f;
    const plane m = {.n = n,
                     .padded = padded,
                     .x = state,
                     .y = state + padded,
                     .vx = state + 2 * padded,
                     .vy = state + 3 * padded,
                     .pull = state + 4 * padded,
                     .push = state + 6 * padded,
                     .weights = take(n, padded * sizeof(float))};
    start_map(&m, distances);
    if (n >= 4) improve_map(&m, distances);
    for (size_t i = 0; i < n; ++i) {
        if (!is_finite((double)m.x[i])) m.x[i] = 0.0f;
        if (!is_finite((double)m.y[i])) m.y[i] = 0.0f;
        largest = fmaxf(largest, fmaxf(fabsf(m.x[i]), fabsf(m.y[i])));
    }
    for (size_t i = 0; i < n; ++i) {
        xy[2 * i] = largest > 0.0f ? m.x[i] / largest : 0.0f;
        xy[2 * i + 1] = largest > 0.0f ? m.y[i] / largest : 0.0f;
    }
    spread_points(xy, n);
}
