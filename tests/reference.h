// SPDX-License-Identifier: MIT
// The second judge: LOCUS's encoder and predictor in plain double-precision loops, written from method.md alone and
// sharing no code with locus.h. Slow on purpose. A net is a list of named tensors, as in the weight files.
#ifndef LOCUS_TEST_REFERENCE_H
#define LOCUS_TEST_REFERENCE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REF_MAX_TENSORS 128

typedef struct ref_tensor {
    char name[64];
    size_t rank, shape[3], count;
    double *v; // every value is exact in float, so that the file holds the same net
} ref_tensor;

typedef struct ref_net {
    size_t D, d, heads, layers, r, hidden;
    int sab;
    ref_tensor t[REF_MAX_TENSORS];
    size_t count;
} ref_net;

// ---- a small deterministic generator (splitmix64)

typedef struct ref_rng {
    uint64_t state;
} ref_rng;

static uint64_t ref_bits(ref_rng *g)
{
    uint64_t x = (g->state += 0x9E3779B97F4A7C15u);
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static double ref_uniform(ref_rng *g) // [0, 1)
{
    return (double)(ref_bits(g) >> 11) / 9007199254740992.0;
}

static size_t ref_range(ref_rng *g, size_t low, size_t high) // [low, high]
{
    return low + (size_t)(ref_bits(g) % (high - low + 1));
}

static double ref_normal(ref_rng *g)
{
    double u = 1.0 - ref_uniform(g), v = ref_uniform(g);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

static double *ref_alloc(size_t count)
{
    double *p = (double *)calloc(count ? count : 1, sizeof(double));
    if (!p) {
        fprintf(stderr, "the test ran out of memory\n");
        exit(2);
    }
    return p;
}

// ---- rounding noise: with ref_noise > 0 each linear map, attention and layer norm errs as float arithmetic may.
// The spread that results is how well-conditioned a case is; tests widen their tolerance by it.

static double ref_noise = 0.0;
static ref_rng ref_noise_rng = {1};

static double ref_err(double magnitude)
{
    return ref_noise > 0.0 ? ref_noise * magnitude * (2.0 * ref_uniform(&ref_noise_rng) - 1.0) : 0.0;
}

// ---- tensors

static ref_tensor *ref_find(const ref_net *net, const char *prefix, const char *suffix)
{
    char name[64];
    size_t i;
    snprintf(name, sizeof name, "%s%s", prefix, suffix);
    for (i = 0; i < net->count; i++)
        if (strcmp(net->t[i].name, name) == 0) return (ref_tensor *)&net->t[i];
    return NULL;
}

static const double *ref_get(const ref_net *net, const char *prefix, const char *suffix)
{
    ref_tensor *t = ref_find(net, prefix, suffix);
    if (!t) {
        fprintf(stderr, "reference net has no tensor %s%s\n", prefix, suffix);
        exit(2);
    }
    return t->v;
}

static ref_tensor *ref_add(ref_net *net, const char *name, size_t rank, size_t a, size_t b, size_t c)
{
    ref_tensor *t = &net->t[net->count++];
    snprintf(t->name, sizeof t->name, "%s", name);
    t->rank = rank;
    t->shape[0] = a, t->shape[1] = b, t->shape[2] = c; // 1 beyond rank
    t->count = a * b * c;
    t->v = ref_alloc(t->count);
    return t;
}

// Adds one tensor with random values around `mean`, as floats.
static void ref_draw(ref_net *net, ref_rng *g, const char *prefix, const char *suffix, size_t rank, size_t a, size_t b,
                     size_t c, double mean, double spread)
{
    ref_tensor *t;
    char name[64];
    size_t i;
    snprintf(name, sizeof name, "%s%s", prefix, suffix);
    t = ref_add(net, name, rank, a, b, c);
    for (i = 0; i < t->count; i++) t->v[i] = (double)(float)(mean + spread * ref_normal(g));
}

static void ref_draw_mab(ref_net *net, ref_rng *g, const char *prefix)
{
    static const char *const square[] = {".W_q.weight", ".W_k.weight", ".W_v.weight", ".fc_o.weight"};
    static const char *const norm[] = {".ln0", ".ln1"};
    size_t d = net->d, i;
    double s = 1.0 / sqrt((double)d);
    char name[48];
    for (i = 0; i < 4; i++) ref_draw(net, g, prefix, square[i], 2, d, d, 1, 0.0, s);
    for (i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s%s", prefix, norm[i]);
        ref_draw(net, g, name, ".weight", 1, d, 1, 1, 1.0, 0.3);
        ref_draw(net, g, name, ".bias", 1, d, 1, 1, 0.0, 0.3);
    }
    ref_draw(net, g, prefix, ".rff.net.0.weight", 2, 2 * d, d, 1, 0.0, s);
    ref_draw(net, g, prefix, ".rff.net.0.bias", 1, 2 * d, 1, 1, 0.0, 0.3);
    ref_draw(net, g, prefix, ".rff.net.2.weight", 2, d, 2 * d, 1, 0.0, 0.7 * s);
    ref_draw(net, g, prefix, ".rff.net.2.bias", 1, d, 1, 1, 0.0, 0.3);
}

// A net in which nothing is left at a default value. `last` is the number of the predictor's last layer, 2 or 3.
static void ref_init(ref_net *net, size_t D, size_t d, size_t heads, size_t layers, size_t r, size_t hidden, int sab,
                     int last, uint64_t seed)
{
    ref_rng g;
    size_t l;
    char prefix[48];
    memset(net, 0, sizeof *net);
    g.state = seed;
    net->D = D, net->d = d, net->heads = heads, net->layers = layers, net->r = r, net->hidden = hidden, net->sab = sab;
    ref_draw(net, &g, "encoder.input.0.weight", "", 2, d, 2 * D + 1, 1, 0.0, 1.0 / sqrt((double)(2 * D + 1)));
    ref_draw(net, &g, "encoder.input.0.bias", "", 1, d, 1, 1, 0.0, 0.3);
    for (l = 0; l < layers; l++) {
        snprintf(prefix, sizeof prefix, "encoder.layers.%u", (unsigned)l);
        if (!sab) ref_draw(net, &g, prefix, ".I", 3, 1, r, d, 0.0, 1.0);
        snprintf(prefix, sizeof prefix, "encoder.layers.%u.%s", (unsigned)l, sab ? "mab" : "mab1");
        ref_draw_mab(net, &g, prefix);
        snprintf(prefix, sizeof prefix, "encoder.layers.%u.mab2", (unsigned)l);
        if (!sab) ref_draw_mab(net, &g, prefix);
    }
    ref_draw(net, &g, "encoder.pma.S", "", 3, 1, 1, d, 0.0, 1.0);
    ref_draw_mab(net, &g, "encoder.pma.mab");
    ref_draw(net, &g, "encoder.out.0.weight", "", 2, d, d, 1, 0.0, 1.0 / sqrt((double)d));
    ref_draw(net, &g, "encoder.out.0.bias", "", 1, d, 1, 1, 0.0, 0.3);
    ref_draw(net, &g, "decoder.U.weight", "", 2, d, D, 1, 0.0, 1.0 / sqrt((double)D));
    ref_draw(net, &g, "decoder.U.bias", "", 1, d, 1, 1, 0.0, 0.3);
    ref_draw(net, &g, "decoder.mlp_head.0.weight", "", 2, hidden, 3 * d, 1, 0.0, 1.0 / sqrt(3.0 * (double)d));
    ref_draw(net, &g, "decoder.mlp_head.0.bias", "", 1, hidden, 1, 1, 0.0, 0.3);
    snprintf(prefix, sizeof prefix, "decoder.mlp_head.%d", last);
    ref_draw(net, &g, prefix, ".weight", 2, 1, hidden, 1, 0.0, 1.0 / sqrt((double)hidden));
    ref_draw(net, &g, prefix, ".bias", 1, 1, 1, 1, 0.0, 0.3);
}

static void ref_free(ref_net *net)
{
    size_t i;
    for (i = 0; i < net->count; i++) free(net->t[i].v);
    memset(net, 0, sizeof *net);
}

// ---- arithmetic

// y[rows, out] = x[rows, in] W[out, in]^T + b
static void ref_linear(const double *x, size_t rows, size_t in, size_t out, const double *W, const double *b, double *y)
{
    size_t i, j, k;
    for (i = 0; i < rows; i++)
        for (j = 0; j < out; j++) {
            double s = b ? b[j] : 0.0, m = fabs(s);
            for (k = 0; k < in; k++) {
                s += x[i * in + k] * W[j * in + k];
                m += fabs(x[i * in + k] * W[j * in + k]);
            }
            y[i * out + j] = s + ref_err(m);
        }
}

// The same with the map's tensors by name.
static void ref_map(const ref_net *net, const char *prefix, const char *name, const double *x, size_t rows, size_t in,
                    size_t out, double *y)
{
    char w[64], b[64];
    snprintf(w, sizeof w, "%s%s.weight", prefix, name);
    snprintf(b, sizeof b, "%s%s.bias", prefix, name);
    ref_linear(x, rows, in, out, ref_get(net, w, ""), ref_find(net, b, "") ? ref_get(net, b, "") : NULL, y);
}

static void ref_layer_norm(double *x, size_t rows, size_t d, const double *gain, const double *bias)
{
    size_t i, j;
    for (i = 0; i < rows; i++) {
        double mean = 0.0, var = 0.0, *row = x + i * d, top = 0.0;
        for (j = 0; j < d; j++) mean += row[j] / (double)d;
        for (j = 0; j < d; j++) var += (row[j] - mean) * (row[j] - mean) / (double)d;
        for (j = 0; j < d; j++) top = fabs(row[j]) > top ? fabs(row[j]) : top;
        for (j = 0; j < d; j++) row[j] = (row[j] - mean + ref_err(top)) / sqrt(var + 1e-5) * gain[j] + bias[j];
    }
}

// out[nq, d] = MAB(Q[nq, d], K[nk, d])
static void ref_mab(const ref_net *net, const char *prefix, const double *Q, size_t nq, const double *K, size_t nk,
                    double *out)
{
    size_t d = net->d, w = d / net->heads, head, i, j, c;
    double *q = ref_alloc(nq * d), *k = ref_alloc(nk * d), *v = ref_alloc(nk * d), *h = ref_alloc(nq * d);
    double *a = ref_alloc(nk), *u = ref_alloc(nq * 2 * d);
    ref_map(net, prefix, ".W_q", Q, nq, d, d, q);
    ref_map(net, prefix, ".W_k", K, nk, d, d, k);
    ref_map(net, prefix, ".W_v", K, nk, d, d, v);
    for (head = 0; head < net->heads; head++)
        for (i = 0; i < nq; i++) {
            double top = -INFINITY, sum = 0.0;
            for (j = 0; j < nk; j++) {
                double s = 0.0, m = 0.0;
                for (c = head * w; c < (head + 1) * w; c++) {
                    s += q[i * d + c] * k[j * d + c];
                    m += fabs(q[i * d + c] * k[j * d + c]);
                }
                a[j] = (s + ref_err(m)) / sqrt((double)w);
                if (a[j] > top) top = a[j];
            }
            for (j = 0; j < nk; j++) sum += (a[j] = exp(a[j] - top));
            for (c = head * w; c < (head + 1) * w; c++) {
                double m = 0.0;
                for (j = 0; j < nk; j++) {
                    h[i * d + c] += a[j] / sum * v[j * d + c];
                    m += a[j] / sum * fabs(v[j * d + c]);
                }
                h[i * d + c] += ref_err(m);
            }
        }
    ref_map(net, prefix, ".fc_o", h, nq, d, d, out);
    for (i = 0; i < nq * d; i++) out[i] += Q[i];
    ref_layer_norm(out, nq, d, ref_get(net, prefix, ".ln0.weight"), ref_get(net, prefix, ".ln0.bias"));
    for (i = 0; i < nq * d; i++) out[i] = out[i] > 0.0 ? out[i] : 0.0;
    ref_map(net, prefix, ".rff.net.0", out, nq, d, 2 * d, u);
    for (i = 0; i < nq * 2 * d; i++) u[i] = u[i] > 0.0 ? u[i] : 0.0;
    ref_map(net, prefix, ".rff.net.2", u, nq, 2 * d, d, h);
    for (i = 0; i < nq * d; i++) out[i] += h[i];
    ref_layer_norm(out, nq, d, ref_get(net, prefix, ".ln1.weight"), ref_get(net, prefix, ".ln1.bias"));
    free(q), free(k), free(v), free(h), free(a), free(u);
}

// z[d] <- embedding of one model. y[n]: scores, NaN = missing; mask[n] or NULL. Rows not in use are left out first.
static void ref_encode(const ref_net *net, const float *enc, size_t n, const float *y, const unsigned char *mask,
                       double *z)
{
    size_t D = net->D, d = net->d, used = 0, i, j, l;
    double *x = ref_alloc(n * (2 * D + 1)), *hm = ref_alloc((net->r + 1) * d);
    double *t = ref_alloc(n * d), *t2 = ref_alloc(n * d);
    char prefix[48], other[48];
    for (i = 0; i < n; i++) {
        double *row = x + used * (2 * D + 1), score = (double)y[i];
        if ((mask && !mask[i]) || score != score) continue;
        used++;
        for (j = 0; j < D; j++) row[j] = (double)enc[i * D + j];
        row[D] = score;
        for (j = 0; j < D; j++) row[D + 1 + j] = (double)enc[i * D + j] * (2.0 * score - 1.0);
    }
    ref_map(net, "encoder.input.0", "", x, used, 2 * D + 1, d, t);
    for (l = 0; l < net->layers; l++) {
        snprintf(prefix, sizeof prefix, "encoder.layers.%u.%s", (unsigned)l, net->sab ? "mab" : "mab1");
        snprintf(other, sizeof other, "encoder.layers.%u", (unsigned)l);
        if (net->sab) {
            ref_mab(net, prefix, t, used, t, used, t2);
        } else {
            ref_mab(net, prefix, ref_get(net, other, ".I"), net->r, t, used, hm);
            snprintf(prefix, sizeof prefix, "encoder.layers.%u.mab2", (unsigned)l);
            ref_mab(net, prefix, t, used, hm, net->r, t2);
        }
        memcpy(t, t2, used * d * sizeof(double));
    }
    ref_mab(net, "encoder.pma.mab", ref_get(net, "encoder.pma.S", ""), 1, t, used, hm);
    ref_map(net, "encoder.out.0", "", hm, 1, d, d, z);
    free(x), free(t), free(t2), free(hm);
}

// The logit of one (embedding, query encoding). keep [hidden], or NULL: factors of the hidden layer behind its ReLU.
static double ref_logit_kept(const ref_net *net, const double *z, const float *enc, const double *keep)
{
    size_t D = net->D, d = net->d, j;
    double *q = ref_alloc(D), *f = ref_alloc(3 * d), *h = ref_alloc(net->hidden), logit;
    const char *last = ref_find(net, "decoder.mlp_head.3.weight", "") ? "decoder.mlp_head.3" : "decoder.mlp_head.2";
    for (j = 0; j < D; j++) q[j] = (double)enc[j];
    ref_map(net, "decoder.U", "", q, 1, D, d, f + d);
    for (j = 0; j < d; j++) {
        f[j] = z[j];
        f[2 * d + j] = z[j] * f[d + j];
    }
    ref_map(net, "decoder.mlp_head.0", "", f, 1, 3 * d, net->hidden, h);
    for (j = 0; j < net->hidden; j++) h[j] = h[j] > 0.0 ? h[j] * (keep ? keep[j] : 1.0) : 0.0;
    ref_map(net, last, "", h, 1, net->hidden, 1, &logit);
    free(q), free(f), free(h);
    return logit;
}

static double ref_logit(const ref_net *net, const double *z, const float *enc)
{
    return ref_logit_kept(net, z, enc, NULL);
}

// The training loss: sum over models m of weight[m] times the sum of binary cross-entropy with logits over the targets
// that m has. y [M, n], target [M, targets]: NaN = missing. keep [M, targets, hidden] or NULL: dropout's factors.
static double ref_loss(const ref_net *net, size_t M, const float *enc, size_t n, const float *y, const float *queries,
                       size_t targets, const float *target, const float *weight, const double *keep)
{
    double loss = 0.0, *z = ref_alloc(net->d);
    size_t m, i;
    for (m = 0; m < M; m++) {
        ref_encode(net, enc, n, y + m * n, NULL, z);
        for (i = 0; i < targets; i++) {
            double want = (double)target[m * targets + i], p;
            if (want != want) continue;
            p = 1.0 / (1.0 + exp(-ref_logit_kept(net, z, queries + i * net->D,
                                                 keep ? keep + (m * targets + i) * net->hidden : NULL)));
            loss -= (double)weight[m] * (want * log(p) + (1.0 - want) * log1p(-p));
        }
    }
    free(z);
    return loss;
}

#endif
