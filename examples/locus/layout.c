// SPDX-License-Identifier: MIT
// Layouts of points in the plane: principal components, t-SNE.

#include "locus_tool.h"
#include "pictures.h"

// The two orthonormal directions v[2, n] of largest eigenvalues of a symmetric operator, by simultaneous iteration.
// Each points where its largest coordinate is positive. v holds a start.
typedef void (*symmetric_operator)(const void *user, const double *v, double *out, size_t n);

static void leading_directions(symmetric_operator apply, const void *user, double *v, double *work, size_t n,
                               size_t iterations, double eigenvalue[2])
{
    double *a = v, *b = v + n;
    for (size_t step = 0; step <= iterations; ++step) {
        double aa = 0.0, bb = 0.0, ab = 0.0, before = 0.0;
        for (size_t i = 0; i < n; ++i) aa += a[i] * a[i];
        for (size_t i = 0; i < n; ++i) a[i] *= aa > 0.0 ? 1.0 / sqrt(aa) : 0.0;
        for (size_t i = 0; i < n; ++i) ab += a[i] * b[i], before += b[i] * b[i];
        for (size_t i = 0; i < n; ++i) b[i] -= ab * a[i];
        for (size_t i = 0; i < n; ++i) bb += b[i] * b[i];
        if (bb <= 1e-20 * before) bb = 0.0; // nothing is left of it: there is one direction only
        for (size_t i = 0; i < n; ++i) b[i] *= bb > 0.0 ? 1.0 / sqrt(bb) : 0.0;
        if (step == iterations) break;
        apply(user, a, work, n);
        for (size_t i = 0; i < n; ++i) a[i] = work[i];
        apply(user, b, work, n);
        for (size_t i = 0; i < n; ++i) b[i] = work[i];
    }
    for (int k = 0; k < 2; ++k) {
        double *w = v + (size_t)k * n, dot = 0.0;
        size_t largest = 0;
        for (size_t i = 0; i < n; ++i)
            if (fabs(w[i]) > fabs(w[largest]) + 1e-12) largest = i;
        double sign = n && w[largest] < 0.0 ? -1.0 : 1.0;
        for (size_t i = 0; i < n; ++i) w[i] *= sign;
        apply(user, w, work, n);
        for (size_t i = 0; i < n; ++i) dot += w[i] * work[i];
        eigenvalue[k] = dot;
    }
}

// A start for it that favours no direction: fixed, and not smooth.
static void scattered_start(double *v, size_t n)
{
    unsigned long state = 12345;
    for (size_t i = 0; i < n; ++i) {
        state = (state * 1103515245ul + 12345ul) & 0x7ffffffful;
        v[i] = (double)state / 1073741824.0 - 1.0;
    }
}

typedef struct centred_rows {
    const float *rows;
    const double *mean;
    double *scores; // [count]
    size_t count, dim, stride;
} centred_rows;

static void apply_covariance(const void *user, const double *v, double *out, size_t dim)
{
    const centred_rows *c = (const centred_rows *)user;
    double shift = 0.0, total = 0.0;
    for (size_t k = 0; k < dim; ++k) shift += c->mean[k] * v[k], out[k] = 0.0;
    for (size_t i = 0; i < c->count; ++i) {
        const float *row = c->rows + i * c->stride;
        double score = -shift;
        for (size_t k = 0; k < dim; ++k) score += (double)row[k] * v[k];
        c->scores[i] = score;
        total += score;
        for (size_t k = 0; k < dim; ++k) out[k] += score * (double)row[k];
    }
    for (size_t k = 0; k < dim; ++k) out[k] -= total * c->mean[k];
}

// xy[n, 2] <- the rows' first two principal components; share[2] (may be NULL) <- of the variance. 1: no memory.
int principal_components(const float *rows, size_t n, size_t dim, size_t stride, float *xy, double *share)
{
    double *memory = (double *)calloc(4 * dim + n + 1, sizeof *memory), *v = memory, eigenvalue[2] = {0.0, 0.0},
           variance = 0.0;
    centred_rows c;
    if (!memory) return 1;
    if (!stride) stride = dim;
    double *work = v + 2 * dim, *mean = work + dim;
    c.rows = rows, c.count = n, c.dim = dim, c.stride = stride, c.mean = mean, c.scores = mean + dim;
    for (size_t i = 0; i < n; ++i)
        for (size_t k = 0; k < dim; ++k) mean[k] += (double)rows[i * stride + k] / (double)n;
    for (size_t i = 0; i < n; ++i)
        for (size_t k = 0; k < dim; ++k) {
            double d = (double)rows[i * stride + k] - mean[k];
            variance += d * d;
        }
    scattered_start(v, 2 * dim);
    leading_directions(apply_covariance, &c, v, work, dim, n > 3000 ? 60 : 200, eigenvalue);
    for (size_t k = 0; k < 2; ++k) {
        double largest = 0.0;
        apply_covariance(&c, v + k * dim, work, dim);
        for (size_t i = 0; i < n; ++i)
            if (fabs(c.scores[i]) > fabs(largest) * (1.0 + 1e-9)) largest = c.scores[i];
        for (size_t i = 0; i < n; ++i) xy[2 * i + k] = (float)(largest < 0.0 ? -c.scores[i] : c.scores[i]);
        if (share) share[k] = variance > 0.0 ? eigenvalue[k] / variance : 0.0;
    }
    free(memory);
    return 0;
}

// -1/2 of the squared distances, centred both ways: the Gram matrix of points that lie so (Torgerson 1952).
static void apply_gram(const void *user, const double *v, double *out, size_t n)
{
    const float *distances = (const float *)user;
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

// p[n, stride] <- how much of a neighbour j is to i: a Gaussian of the distance, so wide that the entropy is that of
// `perplexity` equal neighbours, made symmetric; the sum is 1.
static void neighbour_weights(const float *distances, size_t n, size_t stride, double perplexity, float *p)
{
    for (size_t i = 0; i < n; ++i) {
        const float *d = distances + i * n;
        double low = 0.0, high = INFINITY, beta = 0.0, least = INFINITY, scale = 0.0;
        for (size_t j = 0; j < n; ++j)
            if (j != i) {
                double square = (double)d[j] * (double)d[j];
                if (square < least) least = square;
                scale += square / (double)(n - 1);
            }
        for (int step = 0; step < 60; ++step) {
            double sum = 0.0, moment = 0.0;
            beta = isinf(high) ? (low > 0.0 ? 2.0 * low : 1.0) : 0.5 * (low + high);
            for (size_t j = 0; j < n; ++j)
                if (j != i) {
                    double x = scale > 0.0 ? ((double)d[j] * (double)d[j] - least) / scale : 0.0, w = exp(-beta * x);
                    sum += w;
                    moment += x * w;
                    p[i * stride + j] = (float)w;
                }
            for (size_t j = 0; j < n; ++j) p[i * stride + j] = (float)((double)p[i * stride + j] / sum);
            double excess = log(sum) + beta * moment / sum - log(perplexity);
            if (fabs(excess) < 1e-4 || beta > 1e9) break; // at the latter so many are equally near
            if (excess > 0.0) low = beta;
            else high = beta;
        }
    }
    for (size_t i = 0; i < n; ++i)
        for (size_t j = 0; j < i; ++j)
            p[i * stride + j] = p[j * stride + i] = (p[i * stride + j] + p[j * stride + i]) / (float)(2 * n);
}

enum { LANES = 8 }; // sums side by side, so that a compiler may use vectors without reordering any

// Pull and push on point i of a t-SNE map: force <- pull x, y, push x, y and the sum of the kernel over all points.
// n is a multiple of LANES.
static void map_forces(const float *x, const float *y, const float *weights, size_t n, float xi, float yi,
                       float force[5])
{
    float sums[5][LANES];
    memset(sums, 0, sizeof sums);
    for (size_t j = 0; j < n; j += LANES)
        for (size_t l = 0; l < LANES; ++l) {
            float dx = xi - x[j + l], dy = yi - y[j + l], q = 1.0f / (1.0f + dx * dx + dy * dy);
            float pull = weights[j + l] * q, push = q * q;
            sums[0][l] += pull * dx, sums[1][l] += pull * dy;
            sums[2][l] += push * dx, sums[3][l] += push * dy;
            sums[4][l] += q;
        }
    for (int k = 0; k < 5; ++k) {
        force[k] = 0.0f;
        for (int l = 0; l < LANES; ++l) force[k] += sums[k][l];
    }
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

// xy[n, 2] <- a map that keeps neighbours together, about within [-1, 1]: t-SNE (van der Maaten and Hinton 2008),
// exact, from the points' principal coordinates, so that the same distances always give the same map. O(n^2) time for
// each of some hundred steps (1,000 points: about a second), 4 n^2 bytes. Distances that are no numbers make a poor
// map, no crash. 1: no memory.
int layout_map(const float *distances /*[n,n]*/, size_t n, float *xy /*[n,2]*/)
{
    const size_t steps = n <= 1000 ? 600 : 400, early = steps / 4, padded = (n + LANES - 1) / LANES * LANES;
    double eigenvalue[2] = {0.0, 0.0}, *start;
    float *p, *state;
    if (n == 0) return 0;
    if (n > 0x10000) return 1;
    start = (double *)calloc(3 * n, sizeof *start);
    p = (float *)calloc(n * padded, sizeof *p);
    state = (float *)calloc(8 * padded, sizeof *state);
    if (!start || !p || !state) {
        free(start);
        free(p);
        free(state);
        return 1;
    }
    float *x = state, *y = x + padded, *vx = y + padded, *vy = vx + padded, *sx = vy + padded, *sy = sx + padded,
          *px = sy + padded, *py = px + padded;
    scattered_start(start, 2 * n);
    leading_directions(apply_gram, distances, start, start + 2 * n, n, 100, eigenvalue);
    const double first = eigenvalue[0] > 0.0 ? sqrt(eigenvalue[0]) : 1.0;
    for (size_t i = 0; i < n; ++i) { // the tiny spiral takes equal points apart
        double second = eigenvalue[1] > 0.0 ? sqrt(eigenvalue[1]) / first : 0.0, root = sqrt((double)n);
        x[i] = (float)(start[i] * root + 1e-3 * cos(2.4 * (double)i));
        y[i] = (float)(start[n + i] * root * second + 1e-3 * sin(2.4 * (double)i));
    }
    for (size_t i = n; i < padded; ++i) x[i] = y[i] = 1e15f; // too far to count
    if (n >= 4) {
        double perplexity = (double)(n - 1) / 4.0, rate = (double)n / 3.0;
        if (perplexity < 2.0) perplexity = 2.0;
        if (perplexity > 20.0) perplexity = 20.0;
        if (rate < 16.0) rate = 16.0;
        neighbour_weights(distances, n, padded, perplexity, p);
        for (size_t i = 0; i < n; ++i) x[i] *= 0.01f, y[i] *= 0.01f;
        for (size_t step = 0; step < steps; ++step) {
            const float exaggeration = step < early ? 4.0f : 1.0f, momentum = step < early ? 0.5f : 0.8f;
            double total = 0.0, cx = 0.0, cy = 0.0;
            for (size_t i = 0; i < n; ++i) {
                float force[5];
                map_forces(x, y, p + i * padded, padded, x[i], y[i], force);
                sx[i] = exaggeration * force[0], sy[i] = exaggeration * force[1];
                px[i] = force[2], py[i] = force[3];
                total += (double)force[4] - 1.0;
            }
            for (size_t i = 0; i < n; ++i) {
                float dx = (float)rate * (sx[i] - (float)((double)px[i] / total));
                float dy = (float)rate * (sy[i] - (float)((double)py[i] / total));
                float length = sqrtf(dx * dx + dy * dy);
                if (length > 1.0f) dx /= length, dy /= length; // no leaps
                vx[i] = momentum * vx[i] - dx, vy[i] = momentum * vy[i] - dy;
                x[i] += vx[i], y[i] += vy[i];
                cx += (double)x[i] / (double)n, cy += (double)y[i] / (double)n;
            }
            for (size_t i = 0; i < n; ++i) x[i] -= (float)cx, y[i] -= (float)cy;
        }
    }
    float largest = 0.0f;
    for (size_t i = 0; i < n; ++i) {
        if (!is_finite(x[i])) x[i] = 0.0f;
        if (!is_finite(y[i])) y[i] = 0.0f;
        if (fabsf(x[i]) > largest) largest = fabsf(x[i]);
        if (fabsf(y[i]) > largest) largest = fabsf(y[i]);
    }
    for (size_t i = 0; i < n; ++i) {
        xy[2 * i] = largest > 0.0f ? x[i] / largest : 0.0f;
        xy[2 * i + 1] = largest > 0.0f ? y[i] / largest : 0.0f;
    }
    spread_points(xy, n);
    free(start);
    free(p);
    free(state);
    return 0;
}
