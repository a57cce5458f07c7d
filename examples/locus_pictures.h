// SPDX-License-Identifier: MIT
// Pictures of the locus command line: SVG with selectable text, light and dark by the reader's preference, no script
// and no reference to anything outside. Part of locus.c; see there. They know nothing of pools: numbers and names in,
// text out.
//
// Contents: layouts of points in the plane; the page, its colours and axes; labels that do not overlap; the pictures:
// dendrogram with heat map, map, curve of portfolios, reliability, scatter of pairs.

#ifndef LOCUS_PICTURES_H
#define LOCUS_PICTURES_H

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ------------------------------------------------------------------------------------------------------------ layouts

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
static int principal_components(const float *rows, size_t n, size_t dim, size_t stride, float *xy, double *share)
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
    for (size_t axis = 0; axis < 2; ++axis) {
        double largest = 0.0;
        apply_covariance(&c, v + axis * dim, work, dim);
        for (size_t i = 0; i < n; ++i)
            if (fabs(c.scores[i]) > fabs(largest) * (1.0 + 1e-9)) largest = c.scores[i];
        for (size_t i = 0; i < n; ++i) xy[2 * i + axis] = (float)(largest < 0.0 ? -c.scores[i] : c.scores[i]);
        if (share) share[axis] = variance > 0.0 ? eigenvalue[axis] / variance : 0.0;
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
static int layout_map(const float *distances /*[n,n]*/, size_t n, float *xy /*[n,2]*/)
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

// ----------------------------------------------------------------------------------------------- page, colours, axes

// Text for XML: what is no character there stands as '?'.
static void xml_text(FILE *f, const char *text)
{
    while (*text) {
        size_t n = utf8_bytes(text);
        const unsigned char *c = (const unsigned char *)text;
        int bad = n == 0 || (n == 1 && (*c < 0x20 || *c == 0x7F)) || (n == 2 && c[0] == 0xC2 && c[1] < 0xA0) ||
                  (n == 3 && c[0] == 0xEF && c[1] == 0xBF && c[2] >= 0xBE);
        if (bad) fputc('?', f);
        else if (*c == '&') fputs("&amp;", f);
        else if (*c == '<') fputs("&lt;", f);
        else if (*c == '>') fputs("&gt;", f);
        else if (*c == '\'') fputs("&#39;", f);
        else if (*c == '"') fputs("&quot;", f);
        else fwrite(text, 1, n, f);
        text += n ? n : 1;
    }
}

// Width of the text at font size 1, rather too large: nobody knows the reader's font.
static double text_room(const char *text)
{
    double width = 0.0;
    for (const char *c = text; *c; c += utf8_bytes(c) ? utf8_bytes(c) : 1)
        width += strchr("ijl.,:;'|!()[]", *c) ? 0.33
                 : strchr("MWmw%@", *c)       ? 0.92
                 : *c >= 'A' && *c <= 'Z'     ? 0.70
                 : (unsigned char)*c >= 0x80  ? 1.0
                                              : 0.59;
    return width;
}

enum { HUES = 8, SHADES = 24, NAME_COLUMNS = 44 };

// No more than NAME_COLUMNS characters of a name.
static const char *short_name(const char *name, char text[4 * NAME_COLUMNS + 8])
{
    size_t used = 0, columns = 0;
    for (const char *c = name; *c && columns < NAME_COLUMNS; ++columns) {
        size_t n = utf8_bytes(c) ? utf8_bytes(c) : 1;
        memcpy(text + used, c, n);
        used += n;
        c += n;
    }
    strcpy(text + used, name[used] ? "\xE2\x80\xA6" : "");
    return text;
}

// From near (0) to far: on white, on black.
static void shade(FILE *f, int level, int dark)
{
    static const int ramps[2][5][3] = {
        {{16, 52, 100}, {38, 102, 160}, {113, 168, 208}, {203, 222, 236}, {244, 248, 251}},
        {{226, 243, 255}, {140, 196, 240}, {64, 130, 190}, {32, 72, 112}, {24, 31, 42}}};
    double at = 4.0 * level / (SHADES - 1.0);
    int k = at >= 4.0 ? 3 : (int)at, rgb[3];
    for (int c = 0; c < 3; ++c)
        rgb[c] = (int)(ramps[dark][k][c] + (at - k) * (ramps[dark][k + 1][c] - ramps[dark][k][c]) + 0.5);
    fprintf(f, ".h%d{fill:#%02x%02x%02x}", level, rgb[0], rgb[1], rgb[2]);
}

static void svg_colours(FILE *f, int dark, int shades)
{
    static const char *const hues[2][HUES] = {
        {"#1f6fb2", "#c8502d", "#2b8a57", "#8a4fb0", "#a8760a", "#12808f", "#c2407f", "#667080"},
        {"#6db3f2", "#f58a66", "#67c98f", "#c597ea", "#e0b04a", "#5cc8d6", "#f084b4", "#a6aebb"}};
    fprintf(f, dark ? "svg{background:#14171c}.bg{fill:#14171c}text{fill:#e4e7eb}.halo{stroke:#14171c}.soft{fill:#"
                      "9aa4b1}.grid{stroke:#2a3038}"
                      ".axis{stroke:#7b8591}.ring{stroke:#e4e7eb}.dot{stroke:#14171c}"
                    : "svg{background:#fff}.bg{fill:#fff}text{fill:#1f2328}.halo{stroke:#fff}.soft{fill:#59636e}.grid{"
                      "stroke:#e4e7eb}"
                      ".axis{stroke:#7b8591}.ring{stroke:#1f2328}.dot{stroke:#fff}");
    for (int k = 0; k < HUES; ++k) fprintf(f, ".f%d{fill:%s}.l%d{stroke:%s}", k, hues[dark][k], k, hues[dark][k]);
    for (int k = 0; shades && k < SHADES; ++k) shade(f, k, dark);
}

static void svg_open(FILE *f, double width, double height, const char *title, int shades)
{
    fprintf(f,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%.0f' height='%.0f' viewBox='0 0 %.0f %.0f' "
            "font-family='Helvetica,Arial,\"Liberation Sans\",sans-serif' font-size='12'>\n<title>",
            width, height, width, height);
    xml_text(f, title);
    fprintf(f, "</title>\n<style>svg{max-width:100%%;height:auto}.line{fill:none;stroke-width:2;stroke-linejoin:round}"
               ".dash{stroke-dasharray:5 4}.grid,.axis{fill:none;stroke-width:1}.dot{stroke-width:1}"
               ".ring{fill:none;stroke-width:2}.thin{fill:none;stroke-width:1}.halo{paint-order:stroke;stroke-width:3;"
               "stroke-linejoin:round}.faint{opacity:.35}.head{font-size:17px;font-weight:bold}.panel{font-weight:bold}"
               ".crisp{shape-rendering:crispEdges}");
    svg_colours(f, 0, shades);
    fprintf(f, "@media(prefers-color-scheme:dark){");
    svg_colours(f, 1, shades);
    fprintf(f, "}</style>\n<rect class='bg' width='100%%' height='100%%'/>\n");
}

static void svg_close(FILE *f) { fprintf(f, "</svg>\n"); }

static void svg_text(FILE *f, double x, double y, const char *class_names, const char *anchor, const char *text)
{
    fprintf(f, "<text x='%.1f' y='%.1f'", x, y);
    if (*class_names) fprintf(f, " class='%s'", class_names);
    if (*anchor) fprintf(f, " text-anchor='%s'", anchor);
    fputc('>', f);
    xml_text(f, text);
    fprintf(f, "</text>\n");
}

static void svg_heading(FILE *f, const char *title, const char *note)
{
    svg_text(f, 24, 30, "head", "", title);
    svg_text(f, 24, 50, "soft", "", note);
}

// The mark of a group: hue, then form, so that 32 groups differ.
static void svg_mark(FILE *f, double x, double y, double r, size_t group, const char *extra, const char *title)
{
    int hue = (int)(group % HUES), form = (int)(group / HUES % 4);
    const char *const tag = form == 0 ? "circle" : "path";
    fprintf(f, "<%s class='dot f%d%s%s'", tag, hue, *extra ? " " : "", extra);
    if (form == 0) fprintf(f, " cx='%.1f' cy='%.1f' r='%.1f'", x, y, r);
    else if (form == 1) fprintf(f, " d='M%.1f %.1fh%.1fv%.1fh%.1fz'", x - r, y - r, 2 * r, 2 * r, -2 * r);
    else if (form == 2) fprintf(f, " d='M%.1f %.1fl%.1f %.1fh%.1fz'", x, y - 1.3 * r, 1.2 * r, 2.2 * r, -2.4 * r);
    else
        fprintf(f, " d='M%.1f %.1fl%.1f %.1fl%.1f %.1fl%.1f %.1fz'", x, y - 1.4 * r, 1.4 * r, 1.4 * r, -1.4 * r,
                1.4 * r, -1.4 * r, -1.4 * r);
    if (!title) {
        fprintf(f, "/>\n");
        return;
    }
    fprintf(f, "><title>");
    xml_text(f, title);
    fprintf(f, "</title></%s>\n", tag);
}

typedef struct axis {
    double low, high, step; // values
    double from, to;        // places
    int percent;
} axis;

// An axis over [low, high] with about `ticks` round ticks; tight: no wider than the values.
static axis make_axis(double low, double high, int ticks, double from, double to, int percent, int tight)
{
    axis a;
    if (!(low <= high) || !is_finite(low) || !is_finite(high)) low = 0.0, high = 1.0;
    if (high - low < 1e-12 * (fabs(low) + fabs(high)) + 1e-300) {
        double room = fabs(high) > 0.0 ? 0.1 * fabs(high) : 0.5;
        low -= room, high += room;
    }
    double raw = (high - low) / ticks, unit = pow(10.0, floor(log10(raw))), rest = raw / unit;
    a.step = unit * (rest <= 1.0 ? 1.0 : rest <= 2.0 ? 2.0 : rest <= 5.0 ? 5.0 : 10.0);
    a.low = tight ? low : floor(low / a.step + 1e-9) * a.step;
    a.high = tight ? high : ceil(high / a.step - 1e-9) * a.step;
    a.from = from, a.to = to, a.percent = percent;
    return a;
}

static double axis_at(const axis *a, double value)
{
    return a->from + (a->to - a->from) * (value - a->low) / (a->high - a->low);
}

static const char *tick_text(const axis *a, double value, char text[32])
{
    double scale = a->percent ? 100.0 : 1.0, step = a->step * scale;
    int decimals = step >= 1.0 ? 0 : (int)ceil(-log10(step) - 1e-9);
    if (fabs(value) < 1e-9 * a->step) value = 0.0;
    if (step >= 1e6 || decimals > 6) snprintf(text, 32, "%.3g%s", value * scale, a->percent ? " %" : "");
    else snprintf(text, 32, "%.*f%s", decimals, value * scale, a->percent ? " %" : "");
    return text;
}

// Grid, ticks and names of both axes. y->from is the bottom.
static void svg_axes(FILE *f, const axis *x, const axis *y, const char *x_name, const char *y_name)
{
    char text[32];
    for (double k = ceil(x->low / x->step - 1e-9); k * x->step <= x->high + 1e-9 * x->step; k += 1.0) {
        double at = axis_at(x, k * x->step);
        fprintf(f, "<path class='grid' d='M%.1f %.1fV%.1f'/>\n", at, y->from, y->to);
        svg_text(f, at, y->from + 17, "soft", "middle", tick_text(x, k * x->step, text));
    }
    for (double k = ceil(y->low / y->step - 1e-9); k * y->step <= y->high + 1e-9 * y->step; k += 1.0) {
        double at = axis_at(y, k * y->step);
        fprintf(f, "<path class='grid' d='M%.1f %.1fH%.1f'/>\n", x->from, at, x->to);
        svg_text(f, x->from - 7, at + 4, "soft", "end", tick_text(y, k * y->step, text));
    }
    fprintf(f, "<path class='axis' d='M%.1f %.1fH%.1fM%.1f %.1fV%.1f'/>\n", x->from, y->from, x->to, x->from, y->from,
            y->to);
    svg_text(f, 0.5 * (x->from + x->to), y->from + 38, "", "middle", x_name);
    svg_text(f, x->from - 40, y->to - 10, "", "", y_name);
}

// ------------------------------------------------------------------------------------------------------------- labels

typedef struct box {
    double left, top, right, bottom;
} box;

typedef struct labels { // what is taken in one panel
    box frame, *taken;
    size_t count, capacity;
} labels;

static int is_free(const labels *l, box b)
{
    if (b.left < l->frame.left || b.right > l->frame.right || b.top < l->frame.top || b.bottom > l->frame.bottom)
        return 0;
    for (size_t i = 0; i < l->count; ++i) {
        const box *t = &l->taken[i];
        if (b.left < t->right && t->left < b.right && b.top < t->bottom && t->top < b.bottom) return 0;
    }
    return 1;
}

static void take_box(labels *l, box b)
{
    if (l->count < l->capacity) l->taken[l->count++] = b;
}

typedef enum label_kind { NO_LABEL, NAME_LABEL, NUMBER_LABEL } label_kind;

typedef struct placed { // a label
    label_kind kind;
    double x, y, end_x, end_y; // of the text; of the leader to it
    int side, leader;          // side: -1 the text ends there, 0 it is centred, 1 it begins there
} placed;

// Find room for the text beside the point, farther off if need be. 0: there is none.
static int place_label(labels *l, double x, double y, double r, double size, const char *text, placed *out)
{
    static const signed char sides[12][2] = {{4, 0},  {-4, 0}, {3, -2}, {3, 2}, {-3, -2}, {-3, 2},
                                             {0, -4}, {0, 4},  {2, -4}, {2, 4}, {-2, -4}, {-2, 4}};
    double width = text_room(text) * size + 2.0, height = 1.05 * size;
    for (int ring = 0; ring < 4; ++ring)
        for (int k = 0; k < 12; ++k) {
            double away = r + 3.0 + 11.0 * ring, ax = sides[k][0] / 4.0, ay = sides[k][1] / 4.0;
            box b;
            out->side = (sides[k][0] > 0) - (sides[k][0] < 0);
            out->end_x = x + ax * away, out->end_y = y + ay * away;
            b.left = out->end_x - (out->side > 0 ? 0.0 : out->side < 0 ? width : 0.5 * width);
            b.right = b.left + width;
            b.top = out->end_y - 0.5 * height + (out->side ? 0.0 : ay * 0.5 * height);
            b.bottom = b.top + height;
            if (!is_free(l, b)) continue;
            take_box(l, b);
            out->x = out->end_x, out->y = b.bottom - 0.24 * size;
            out->leader = ring > 0;
            return 1;
        }
    return 0;
}

static void svg_label(FILE *f, const placed *p, double x, double y, double size, const char *class_names,
                      const char *text)
{
    static const char *const anchors[] = {"end", "middle", "start"};
    if (p->leader) fprintf(f, "<path class='axis faint' d='M%.1f %.1fL%.1f %.1f'/>\n", x, y, p->end_x, p->end_y);
    fprintf(f, "<text x='%.1f' y='%.1f' font-size='%.1f' class='halo%s%s' text-anchor='%s'>", p->x, p->y, size,
            *class_names ? " " : "", class_names, anchors[p->side + 1]);
    xml_text(f, text);
    fprintf(f, "</text>\n");
}

// Entries one after another, in rows.
typedef struct legend {
    FILE *f; // NULL: only measure
    double left, right, x, y;
} legend;

static void legend_entry(legend *l, size_t group, const char *text)
{
    double width = 12.0 * text_room(text) + 34.0;
    if (l->x > l->left && l->x + width > l->right) l->x = l->left, l->y += 20.0;
    if (l->f) {
        svg_mark(l->f, l->x + 5.0, l->y - 4.0, 4.5, group, "", NULL);
        svg_text(l->f, l->x + 15.0, l->y, "", "", text);
    }
    l->x += width;
}

// ---------------------------------------------------------------------------------------------------- map of the pool

typedef struct map_picture {
    const char *title, *note;
    size_t n;
    const char *const *names;
    const float *principal, *map; // [n, 2]
    double share[2];              // of the variance, of the two components
    const size_t *group;          // [n]
    size_t groups;
    const char *const *group_names;
    size_t centre;        // a model to stand out, or SIZE_MAX
    const size_t *nearby; // and its neighbours
    size_t nearby_count;
} map_picture;

typedef struct map_panel { // one of the two
    const float *xy;
    axis x, y;
    double r, size;
    placed *labels; // [n]
} map_panel;

enum { MOST_NAMES = 600 }; // nobody reads more

static int is_nearby(const map_picture *p, size_t i)
{
    for (size_t k = 0; p->centre != SIZE_MAX && k < p->nearby_count; ++k)
        if (p->nearby[k] == i) return 1;
    return p->centre == i;
}

// Where points and labels go: the names of the centre and its neighbours, then all others where they fit, then numbers.
static void place_map(const map_picture *p, map_panel *m, double left, double top, double width, double height,
                      box *room, size_t capacity)
{
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    char text[4 * NAME_COLUMNS + 8];
    labels l;
    m->r = p->n <= 150 ? 4.5 : p->n <= 600 ? 3.0 : 2.0;
    m->size = p->n <= 40 ? 11.0 : 9.5;
    for (size_t i = 0; i < 2 * p->n; ++i) {
        double v = (double)m->xy[i];
        if (v < low[i % 2]) low[i % 2] = v;
        if (v > high[i % 2]) high[i % 2] = v;
    }
    m->x = make_axis(low[0], high[0], 5, left + 30, left + width - 30, 0, 1);
    m->y = make_axis(low[1], high[1], 5, top + height - 24, top + 24, 0, 1);
    l.frame.left = left + 3, l.frame.right = left + width - 3, l.frame.top = top + 3, l.frame.bottom = top + height - 3;
    l.taken = room, l.count = 0, l.capacity = capacity;
    for (size_t i = 0; i < p->n; ++i) {
        double x = axis_at(&m->x, (double)m->xy[2 * i]), y = axis_at(&m->y, (double)m->xy[2 * i + 1]);
        box b;
        b.left = x - m->r - 1, b.right = x + m->r + 1, b.top = y - m->r - 1, b.bottom = y + m->r + 1;
        take_box(&l, b);
    }
    for (int pass = 0; pass < 3 && p->n <= MOST_NAMES; ++pass)
        for (size_t i = 0; i < p->n; ++i) {
            double x = axis_at(&m->x, (double)m->xy[2 * i]), y = axis_at(&m->y, (double)m->xy[2 * i + 1]);
            if (m->labels[i].kind || (pass == 0 && !is_nearby(p, i))) continue;
            if (pass == 2) snprintf(text, sizeof text, "%zu", i + 1);
            else short_name(p->names[i], text);
            if (place_label(&l, x, y, m->r + (pass == 0 ? 3.0 : 0.0), m->size + (pass == 0), text, &m->labels[i]))
                m->labels[i].kind = pass == 2 ? NUMBER_LABEL : NAME_LABEL;
        }
}

static void draw_map_panel(FILE *f, const map_picture *p, const map_panel *m)
{
    const double cx = p->centre < p->n ? axis_at(&m->x, (double)m->xy[2 * p->centre]) : 0.0;
    const double cy = p->centre < p->n ? axis_at(&m->y, (double)m->xy[2 * p->centre + 1]) : 0.0;
    char text[4 * NAME_COLUMNS + 8];
    fprintf(f, "<rect class='grid' x='%.1f' y='%.1f' width='%.1f' height='%.1f'/>\n", m->x.from - 30, m->y.to - 24,
            m->x.to - m->x.from + 60, m->y.from - m->y.to + 48);
    for (size_t i = 0; i < p->n && p->centre != SIZE_MAX; ++i)
        if (is_nearby(p, i))
            fprintf(f, "<path class='axis' d='M%.1f %.1fL%.1f %.1f'/>\n", cx, cy, axis_at(&m->x, (double)m->xy[2 * i]),
                    axis_at(&m->y, (double)m->xy[2 * i + 1]));
    for (size_t i = 0; i < p->n; ++i) {
        double x = axis_at(&m->x, (double)m->xy[2 * i]), y = axis_at(&m->y, (double)m->xy[2 * i + 1]);
        svg_mark(f, x, y, m->r, p->group ? p->group[i] : 0, "", p->names[i]);
        if (is_nearby(p, i))
            fprintf(f, "<circle class='ring%s' cx='%.1f' cy='%.1f' r='%.1f'/>\n", i == p->centre ? "" : " thin", x, y,
                    m->r + 3.0);
    }
    for (size_t i = 0; i < p->n; ++i) {
        double x = axis_at(&m->x, (double)m->xy[2 * i]), y = axis_at(&m->y, (double)m->xy[2 * i + 1]);
        int near = is_nearby(p, i);
        if (m->labels[i].kind == NUMBER_LABEL) snprintf(text, sizeof text, "%zu", i + 1);
        else short_name(p->names[i], text);
        if (m->labels[i].kind)
            svg_label(f, &m->labels[i], x, y, m->size + near,
                      i == p->centre                      ? "panel"
                      : m->labels[i].kind == NUMBER_LABEL ? "soft"
                                                          : "",
                      text);
    }
}

static void draw_map(FILE *f, const void *picture)
{
    const map_picture *p = (const map_picture *)picture;
    const double width = 1280, top = 84, height = 610, panel = 608;
    const size_t capacity = 2 * p->n + 2;
    char text[4 * NAME_COLUMNS + 8];
    size_t columns = 6, listed = 0, at = 0;
    map_panel panels[2];
    legend l;
    placed *spots = (placed *)calloc(capacity, sizeof *spots);
    box *room = (box *)malloc(capacity * sizeof *room);
    size_t *list = (size_t *)malloc((p->n + 1) * sizeof *list); // models whose number stands for the name
    memset(panels, 0, sizeof panels);
    for (int k = 0; k < 2 && spots && room && list; ++k) {
        panels[k].xy = k ? p->map : p->principal;
        panels[k].labels = spots + (size_t)k * p->n;
        place_map(p, &panels[k], 24.0 + k * (panel + 16.0), top, panel, height, room, capacity);
    }
    for (size_t i = 0; i < p->n && list && spots && p->n <= MOST_NAMES; ++i) {
        size_t bytes = strlen(short_name(p->names[i], text));
        if (panels[0].labels[i].kind == NAME_LABEL && panels[1].labels[i].kind == NAME_LABEL) continue;
        list[listed++] = i;
        if (bytes > 22 && columns > 5) columns = 5;
        if (bytes > 28) columns = 4;
    }
    l.f = NULL, l.left = l.x = 24.0, l.right = width - 24.0, l.y = top + height + 28.0;
    for (size_t g = 0; g < p->groups; ++g) legend_entry(&l, g, p->group_names[g]);
    double list_top = l.y + (p->groups ? 28.0 : 0.0);
    size_t rows = (listed + columns - 1) / columns;
    svg_open(f, width, list_top + 15.0 * (double)rows + 4.0, p->title, 0);
    svg_heading(f, p->title, p->note);
    snprintf(text, sizeof text, "Principal components: %.0f %% (across) and %.0f %% (up) of the variance",
             100.0 * p->share[0], 100.0 * p->share[1]);
    svg_text(f, 24, top - 9, "panel", "", text);
    svg_text(f, 24 + panel + 16, top - 9, "panel", "",
             "Neighbourhoods: near on the map is near in truth, far means little");
    for (int k = 0; k < 2 && spots && room && list; ++k) draw_map_panel(f, p, &panels[k]);
    l.f = f, l.x = l.left, l.y = top + height + 28.0;
    for (size_t g = 0; g < p->groups; ++g) legend_entry(&l, g, p->group_names[g]);
    for (size_t k = 0; k < listed; ++k, ++at) {
        double x = 24.0 + (width - 48.0) / (double)columns * (double)(at / rows),
               y = list_top + 15.0 * (double)(at % rows);
        char name[4 * NAME_COLUMNS + 8], number[24];
        snprintf(number, sizeof number, "%zu", list[k] + 1);
        fprintf(f, "<g font-size='10'>");
        svg_text(f, x + 18.0, y, "soft", "end", number);
        svg_text(f, x + 23.0, y, "", "", short_name(p->names[list[k]], name));
        fprintf(f, "</g>\n");
    }
    svg_close(f);
    free(list);
    free(room);
    free(spots);
}

// ------------------------------------------------------------------------------------------ dendrogram and heat map

typedef struct tree_picture {
    const char *title, *note, *metric;
    size_t n;
    const char *const *names;
    const locus_merge *merges; // [n - 1]
    const size_t *order;       // [n]: leaves from top to bottom
    const size_t *group;       // [n]
    double cut;                // height at which it is cut
    const float *cells;        // [cell_count, cell_count] mean distances of the leaves in each cell, in that order
    size_t cell_count;         // at most n
    const char *const *group_names;
    size_t groups;
} tree_picture;

static void draw_tree(FILE *f, const void *picture)
{
    const tree_picture *p = (const tree_picture *)picture;
    const size_t n = p->n;
    const double row = n <= 30 ? 20.0 : n <= 70 ? 13.0 : n <= 300 ? 11.0 : 900.0 / (double)n, side = row * (double)n;
    const double cell = p->cell_count ? side / (double)p->cell_count : 0.0, font = n <= 30   ? 11.5
                                                                                   : n <= 70 ? 10.0
                                                                                             : 9.0;
    const int named = n <= 300;
    char text[4 * NAME_COLUMNS + 8];
    double longest = 0.0, low = INFINITY, high = -INFINITY;
    for (size_t i = 0; named && i < n; ++i) {
        double w = font * text_room(short_name(p->names[i], text));
        if (w > longest) longest = w;
    }
    for (size_t i = 0; i < p->cell_count; ++i)
        for (size_t j = 0; j < p->cell_count; ++j) {
            double d = (double)p->cells[i * p->cell_count + j];
            if (i == j || !is_finite(d)) continue;
            if (d < low) low = d;
            if (d > high) high = d;
        }
    if (!(low < high)) low = 0.0, high = is_finite(high) && high > 0.0 ? high : 1.0;
    const double tree = side < 400.0   ? 240.0
                        : side < 800.0 ? 320.0
                                       : 380.0,
                 left = 24.0, top = 84.0, heat = left + tree + 8.0;
    const double names = heat + side + 8.0, below = top + side;
    const double legend_top = below + 104.0, foot = below + longest + 16.0;
    legend l;
    l.f = NULL, l.left = l.x = left, l.right = left + tree, l.y = legend_top;
    for (size_t g = 0; g < p->groups; ++g) legend_entry(&l, g, p->group_names[g]);
    const double width = (names + longest > 600.0 ? names + longest : 600.0) + 12.0, height = l.y > foot ? l.y : foot;
    svg_open(f, width, height + 16.0, p->title, 1);
    svg_heading(f, p->title, p->note);

    // the tree: each merge a bracket, from the leaves on the right to the root on the left
    const double root = n > 1 ? p->merges[n - 2].height : 0.0;
    axis x = make_axis(0.0, root > 0.0 ? root : 1.0, 4, left + tree - 2.0, left, 0, 1);
    double *at = (double *)malloc(2 * n * sizeof *at);       // of each node, its place from top to bottom
    size_t *owner = (size_t *)malloc(2 * n * sizeof *owner); // and its group; SIZE_MAX: several
    for (double k = 0.0; k * x.step <= x.high * (1.0 + 1e-9); k += 1.0) {
        fprintf(f, "<path class='grid' d='M%.1f %.1fV%.1f'/>\n", axis_at(&x, k * x.step), top, below);
        svg_text(f, axis_at(&x, k * x.step), below + 16.0, "soft", k > 0.0 ? "middle" : "end",
                 tick_text(&x, k * x.step, text));
    }
    for (size_t i = 0; at && owner && i < n; ++i)
        at[p->order[i]] = top + row * ((double)i + 0.5), owner[p->order[i]] = p->group ? p->group[p->order[i]] : 0;
    for (size_t i = 0; at && owner && i + 1 < n; ++i) {
        const locus_merge *m = &p->merges[i];
        double from_a = m->a < n ? 0.0 : p->merges[m->a - n].height,
               from_b = m->b < n ? 0.0 : p->merges[m->b - n].height;
        at[n + i] = 0.5 * (at[m->a] + at[m->b]);
        owner[n + i] = owner[m->a] == owner[m->b] ? owner[m->a] : SIZE_MAX;
        if (owner[n + i] == SIZE_MAX) fprintf(f, "<path class='axis");
        else fprintf(f, "<path class='line thin l%d", (int)(owner[n + i] % HUES));
        fprintf(f, "' d='M%.1f %.1fH%.1fV%.1fH%.1f'/>\n", axis_at(&x, from_a), at[m->a], axis_at(&x, m->height),
                at[m->b], axis_at(&x, from_b));
    }
    if (p->groups > 1 && p->cut < x.high)
        fprintf(f, "<path class='ring thin dash' d='M%.1f %.1fV%.1f'/>\n", axis_at(&x, p->cut), top - 4.0, below + 2.0);
    svg_text(f, left, top - 10.0, "panel", "", "Tree: height of each merge");
    svg_text(f, heat, top - 10.0, "panel", "", "Distances of all pairs");

    // the map: one path for each shade, runs of equal cells in one piece
    for (int level = 0; level < SHADES; ++level) {
        int open = 0;
        for (size_t i = 0; i < p->cell_count; ++i)
            for (size_t j = 0, end; j < p->cell_count; j = end) {
                int here[2] = {0, 0};
                for (end = j; end < p->cell_count; ++end) {
                    double d = i == end ? low : (double)p->cells[i * p->cell_count + end];
                    int k = is_finite(d) ? (int)((d - low) / (high - low) * SHADES) : SHADES - 1;
                    here[end > j] = k < 0 ? 0 : k < SHADES ? k : SHADES - 1;
                    if (here[end > j] != here[0]) break;
                }
                if (here[0] != level) continue;
                if (!open++) fprintf(f, "<path class='crisp h%d' d='", level);
                fprintf(f, "M%.5g %.5gh%.5gv%.5gh%.5gz", heat + cell * (double)j, top + cell * (double)i,
                        cell * (double)(end - j), cell, -cell * (double)(end - j));
            }
        if (open) fprintf(f, "'/>\n");
    }
    if (named) fprintf(f, "<g font-size='%.1f'>\n", font);
    for (size_t i = 0; named && i < n; ++i) {
        const char *name = short_name(p->names[p->order[i]], text);
        double y = top + row * ((double)i + 0.5);
        svg_text(f, names, y + 0.36 * font, "", "", name);
        fprintf(f, "<text transform='translate(%.1f %.1f)rotate(-90)' text-anchor='end'>",
                heat + row * ((double)i + 0.5) + 0.36 * font, below + 6.0);
        xml_text(f, name);
        fprintf(f, "</text>\n");
    }
    if (named) fprintf(f, "</g>\n");

    // the scale of shades
    axis s = make_axis(low, high, 5, left, left + tree - 2.0, 0, 1);
    double bar = below + 46.0;
    svg_text(f, left, bar - 6.0, "soft", "", p->metric);
    for (int level = 0; level < SHADES; ++level)
        fprintf(f, "<rect class='crisp h%d' x='%.1f' y='%.1f' width='%.1f' height='12'/>\n", level,
                left + (tree - 2.0) * level / SHADES, bar, (tree - 2.0) / SHADES + 0.5);
    for (double k = ceil(s.low / s.step - 1e-9); k * s.step <= s.high + 1e-9 * s.step; k += 1.0)
        svg_text(f, axis_at(&s, k * s.step), bar + 26.0, "soft", "middle", tick_text(&s, k * s.step, text));
    l.f = f, l.x = l.left, l.y = legend_top;
    for (size_t g = 0; g < p->groups; ++g) legend_entry(&l, g, p->group_names[g]);
    svg_close(f);
    free(owner);
    free(at);
}

// ------------------------------------------------------------------------------------------------ curve of portfolios

typedef struct curve {
    const char *name;
    const double *values; // for 1, 2, ... models; NaN: none
    int hue, dashed;
} curve;

typedef struct curve_picture {
    const char *title, *note, *y_name;
    const curve *curves;
    size_t curve_count, n; // n: values of each
    size_t chosen;         // models in the portfolio that is listed; 0: none
    const char *const *names;
    const double *values; // of the first 1, 2, ... of them
} curve_picture;

static void draw_curves(FILE *f, const void *picture)
{
    const curve_picture *p = (const curve_picture *)picture;
    const double left = 70.0, top = 100.0, width = 620.0, height = 400.0, names = left + width + 12.0;
    const size_t listed = p->chosen < 40 ? p->chosen : 40;
    char text[4 * NAME_COLUMNS + 40], name[4 * NAME_COLUMNS + 8];
    double low = INFINITY, high = -INFINITY, place[16];
    size_t ranked[16], ends = 0;
    for (size_t c = 0; c < p->curve_count; ++c)
        for (size_t k = 0; k < p->n; ++k) {
            double v = p->curves[c].values[k];
            if (!is_finite(v)) continue;
            if (v < low) low = v;
            if (v > high) high = v;
        }
    double list_height = 18.0 * (double)listed + 40.0, body = height > list_height ? height : list_height;
    svg_open(f, 1180.0, top + body + 64.0, p->title, 0);
    svg_heading(f, p->title, p->note);
    axis x = make_axis(p->n > 1 ? 1.0 : 0.5, p->n > 1 ? (double)p->n : 1.5, 12, left, left + width, 0, 1);
    axis y = make_axis(low, high, 6, top + height, top, 1, 0);
    if (x.step < 1.0) x.step = 1.0;
    svg_axes(f, &x, &y, "models in the portfolio", p->y_name);
    if (p->chosen && p->chosen <= p->n)
        fprintf(f, "<path class='axis dash' d='M%.1f %.1fV%.1f'/>\n", axis_at(&x, (double)p->chosen), y.from, y.to);
    for (size_t c = 0; c < p->curve_count; ++c) {
        const curve *v = &p->curves[c];
        size_t last = SIZE_MAX;
        fprintf(f, "<polyline class='line%s l%d' points='", v->dashed ? " dash" : "", v->hue);
        for (size_t k = 0; k < p->n; ++k)
            if (is_finite(v->values[k])) {
                fprintf(f, "%.1f,%.1f ", axis_at(&x, (double)(k + 1)), axis_at(&y, v->values[k]));
                last = k;
            }
        fprintf(f, "'/>\n");
        for (size_t k = 0; k < p->n && p->n <= 60 && !v->dashed; ++k)
            if (is_finite(v->values[k]))
                svg_mark(f, axis_at(&x, (double)(k + 1)), axis_at(&y, v->values[k]), 3.0, (size_t)v->hue, "", NULL);
        if (last == SIZE_MAX || ends == 16) continue;
        double at = axis_at(&y, v->values[last]);
        size_t r = ends++; // the names of the curves stand at their ends, from top to bottom
        for (; r > 0 && place[r - 1] > at; --r) place[r] = place[r - 1], ranked[r] = ranked[r - 1];
        place[r] = at, ranked[r] = c;
    }
    double previous = -INFINITY;
    for (size_t r = 0; r < ends; ++r) {
        const curve *v = &p->curves[ranked[r]];
        double rest = 16.0 * (double)(ends - 1 - r), at = place[r];
        if (at > y.from - rest) at = y.from - rest;
        if (at < previous + 16.0) at = previous + 16.0;
        previous = at;
        fprintf(f, "<path class='line thin%s l%d' d='M%.1f %.1fl6 %.1fh8'/>\n", v->dashed ? " dash" : "", v->hue,
                left + width + 2.0, place[r], at - place[r]);
        snprintf(text, sizeof text, "f%d", v->hue);
        svg_text(f, names + 8.0, at + 4.0, text, "", v->name);
    }
    if (listed) {
        snprintf(text, sizeof text, "The %zu chosen, in order of gain", p->chosen);
        svg_text(f, 880.0, top - 10.0, "panel", "", text);
    }
    for (size_t i = 0; i < listed; ++i) {
        double at = top + 12.0 + 18.0 * (double)i;
        snprintf(text, sizeof text, "%zu", i + 1);
        svg_text(f, 898.0, at, "soft", "end", text);
        svg_text(f, 906.0, at, "", "", short_name(p->names[i], name));
        snprintf(text, sizeof text, "%.1f %%", 100.0 * p->values[i]);
        svg_text(f, 1156.0, at, "soft", "end", text);
    }
    if (listed < p->chosen) {
        snprintf(text, sizeof text, "and %zu more", p->chosen - listed);
        svg_text(f, 906.0, top + 12.0 + 18.0 * (double)listed, "soft", "", text);
    }
    svg_close(f);
}

// ------------------------------------------------------------------------------------------------------- reliability

typedef struct reliability_picture {
    const char *title, *note;
    const locus_bin *before, *after;
    size_t bins;
    double ece_before, ece_after;
} reliability_picture;

static void draw_reliability(FILE *f, const void *picture)
{
    const reliability_picture *p = (const reliability_picture *)picture;
    const double left = 76.0, top = 100.0, side = 440.0;
    axis x = make_axis(0.0, 1.0, 5, left, left + side, 1, 1), y = make_axis(0.0, 1.0, 5, top + side, top, 1, 1);
    size_t most = 1;
    char text[80];
    svg_open(f, 760.0, top + side + 190.0, p->title, 0);
    svg_heading(f, p->title, p->note);
    svg_axes(f, &x, &y, "", "right answers observed");
    fprintf(f, "<path class='axis dash' d='M%.1f %.1fL%.1f %.1f'/>\n", x.from, y.from, x.to, y.to);
    for (int k = 0; k < 2; ++k) {
        const locus_bin *bins = k ? p->after : p->before;
        const int hue = k ? 0 : 1;
        fprintf(f, "<polyline class='line%s l%d' points='", k ? "" : " dash", hue);
        for (size_t b = 0; b < p->bins; ++b)
            if (bins[b].pairs) fprintf(f, "%.1f,%.1f ", axis_at(&x, bins[b].predicted), axis_at(&y, bins[b].observed));
        fprintf(f, "'/>\n");
        for (size_t b = 0; b < p->bins; ++b) {
            if (!bins[b].pairs) continue;
            double o = bins[b].observed,
                   e = 1.645 * sqrt((o * (1.0 - o) + 0.25 / (double)bins[b].pairs) / (double)bins[b].pairs);
            double px = axis_at(&x, bins[b].predicted), from = o - e < 0.0 ? 0.0 : o - e,
                   to = o + e > 1.0 ? 1.0 : o + e;
            if (k)
                fprintf(f, "<path class='line l%d' d='M%.1f %.1fV%.1f'/>\n", hue, px, axis_at(&y, from),
                        axis_at(&y, to));
            snprintf(text, sizeof text, "%.1f %% predicted, %.1f %% observed, %zu answers", 100.0 * bins[b].predicted,
                     100.0 * o, bins[b].pairs);
            svg_mark(f, px, axis_at(&y, o), 4.5, (size_t)hue, "", text);
            if (bins[b].pairs > most) most = bins[b].pairs;
        }
        double row = top + 22.0 + 44.0 * k;
        fprintf(f, "<path class='line%s l%d' d='M%.1f %.1fh24'/>\n", k ? "" : " dash", hue, left + side + 24.0, row);
        svg_mark(f, left + side + 36.0, row, 4.5, (size_t)hue, "", NULL);
        svg_text(f, left + side + 56.0, row + 4.0, "", "", k ? "calibrated" : "before");
        snprintf(text, sizeof text, "calibration error %.2f %%", 100.0 * (k ? p->ece_after : p->ece_before));
        svg_text(f, left + side + 56.0, row + 20.0, "soft", "", text);
    }
    fprintf(f, "<path class='axis dash' d='M%.1f %.1fh24'/>\n", left + side + 24.0, top + 110.0);
    svg_text(f, left + side + 56.0, top + 114.0, "", "", "as it should be");
    fprintf(f, "<path class='line l0' d='M%.1f %.1fv16'/>\n", left + side + 36.0, top + 132.0);
    svg_text(f, left + side + 56.0, top + 144.0, "", "", "90 % interval");

    // how many answers are behind each point
    axis h = make_axis(0.0, (double)most, 2, top + side + 130.0, top + side + 40.0, 0, 0);
    svg_axes(f, &x, &h, "predicted chance of a right answer", "");
    svg_text(f, left + side + 24.0, h.to + 10.0, "soft", "", "answers in each bin");
    for (int k = 0; k < 2; ++k)
        for (size_t b = 0; b < p->bins; ++b) {
            const locus_bin *bin = k ? &p->after[b] : &p->before[b];
            double w = side / (double)p->bins, at = axis_at(&h, (double)bin->pairs);
            fprintf(f, "<rect class='f%d' x='%.1f' y='%.1f' width='%.1f' height='%.1f'/>\n", k ? 0 : 1,
                    left + w * ((double)b + (k ? 0.5 : 0.1)), at, 0.4 * w, h.from - at);
        }
    svg_close(f);
}

// --------------------------------------------------------------------------------------------------- scatter of pairs

typedef struct pair_mark { // a pair to stand out
    double x, y;
    const char *text;
} pair_mark;

typedef struct scatter_picture {
    const char *title, *note, *x_name, *y_name;
    const double *x, *y; // [n]
    size_t n;
    const pair_mark *marks;
    size_t mark_count;
} scatter_picture;

typedef struct abscissa {
    double x, y;
} abscissa;

static int by_x(const void *a, const void *b)
{
    const abscissa *p = (const abscissa *)a, *q = (const abscissa *)b;
    return p->x < q->x ? -1 : p->x > q->x ? 1 : (p->y > q->y) - (p->y < q->y);
}

static void draw_scatter(FILE *f, const void *picture)
{
    enum { MOST_DOTS = 20000, BANDS = 16 };
    const scatter_picture *p = (const scatter_picture *)picture;
    const double left = 70.0, top = 100.0, width = 760.0, height = 460.0;
    const size_t every = p->n / MOST_DOTS + 1;
    double high[2] = {0.0, 0.0};
    for (size_t i = 0; i < p->n; ++i) {
        if (p->x[i] > high[0]) high[0] = p->x[i];
        if (p->y[i] > high[1]) high[1] = p->y[i];
    }
    svg_open(f, left + width + 40.0, top + height + 90.0, p->title, 0);
    svg_heading(f, p->title, p->note);
    axis x = make_axis(0.0, high[0], 8, left, left + width, 0, 0),
         y = make_axis(0.0, high[1], 6, top + height, top, 1, 0);
    svg_axes(f, &x, &y, p->x_name, p->y_name);
    const double r = p->n < 500 ? 3.0 : p->n < 5000 ? 2.2 : 1.5;
    for (size_t i = 0; i < p->n; i += every)
        fprintf(f, "<circle class='f0' opacity='%s' cx='%.1f' cy='%.1f' r='%.1f'/>\n", p->n < 500 ? ".6" : ".4",
                axis_at(&x, p->x[i]), axis_at(&y, p->y[i]), r);
    // means over bands of equally many pairs
    abscissa *sorted = (abscissa *)malloc((p->n + 1) * sizeof *sorted);
    if (sorted && p->n >= 4 * BANDS) {
        for (size_t i = 0; i < p->n; ++i) sorted[i].x = p->x[i], sorted[i].y = p->y[i];
        qsort(sorted, p->n, sizeof *sorted, by_x);
        fprintf(f, "<polyline class='line l1' points='");
        for (size_t band = 0; band < BANDS; ++band) {
            size_t from = p->n * band / BANDS, to = p->n * (band + 1) / BANDS;
            double sx = 0.0, sy = 0.0;
            for (size_t i = from; i < to; ++i) sx += sorted[i].x, sy += sorted[i].y;
            fprintf(f, "%.1f,%.1f ", axis_at(&x, sx / (double)(to - from)), axis_at(&y, sy / (double)(to - from)));
        }
        fprintf(f, "'/>\n<path class='line l1' d='M%.1f %.1fh24'/>\n", left, top + height + 66.0);
        svg_text(f, left + 32.0, top + height + 70.0, "", "", "mean over bands of equally many pairs");
    }
    free(sorted);
    // names of the marked pairs: clear of the dots where that can be
    labels clear, over;
    const size_t dots = p->n < 2000 ? p->n : 0, capacity = dots + 2 * p->mark_count + 1;
    box *room = (box *)malloc(2 * capacity * sizeof *room);
    clear.frame.left = left, clear.frame.right = left + width + 36.0, clear.frame.top = top - 4.0;
    clear.frame.bottom = top + height;
    clear.taken = room, clear.count = 0, clear.capacity = room ? capacity : 0;
    over = clear;
    over.taken = room + capacity;
    for (size_t k = 0; k < p->mark_count; ++k) {
        double px = axis_at(&x, p->marks[k].x), py = axis_at(&y, p->marks[k].y);
        box b;
        b.left = px - 6.0, b.right = px + 6.0, b.top = py - 6.0, b.bottom = py + 6.0;
        take_box(&clear, b);
        take_box(&over, b);
        fprintf(f, "<circle class='ring' cx='%.1f' cy='%.1f' r='6'/>\n", px, py);
    }
    for (size_t i = 0; i < dots; ++i) {
        box b;
        b.left = axis_at(&x, p->x[i]) - r, b.right = b.left + 2.0 * r;
        b.top = axis_at(&y, p->y[i]) - r, b.bottom = b.top + 2.0 * r;
        take_box(&clear, b);
    }
    for (size_t k = 0; k < p->mark_count && room; ++k) {
        placed spot;
        double px = axis_at(&x, p->marks[k].x), py = axis_at(&y, p->marks[k].y);
        if (place_label(&clear, px, py, 7.0, 11.0, p->marks[k].text, &spot)) {
            box b = clear.taken[clear.count - 1];
            take_box(&over, b);
        } else if (!place_label(&over, px, py, 7.0, 11.0, p->marks[k].text, &spot)) {
            continue;
        } else {
            take_box(&clear, over.taken[over.count - 1]);
        }
        svg_label(f, &spot, px, py, 11.0, "", p->marks[k].text);
    }
    free(room);
    svg_close(f);
}

#endif
