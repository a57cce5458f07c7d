// SPDX-License-Identifier: MIT
// Tests of locus.h against golden vectors, an independent implementation (reference.h) and its own promises.
//
//     cc -O2 tests/test_core.c -o build/test_core -lm -lpthread && build/test_core [part of a test's name]
//
// Run from the root of the repository. LOCUS_TEST_QUICK=1: fewer and smaller cases (valgrind, emulators).
// LOCUS_TEST_GOLDEN: folder of the golden vectors (default tests/golden). LOCUS_TEST_TMP: for files (default /tmp).
// LOCUS_TEST_SEED: another seed for the random cases.

#define TEST_FILE "test_core.c"
#include "harness.h"

// ---------------------------------------------------------------------------------------------------- fixtures

typedef struct fixture {
    ref_net ref;
    unsigned char *data;
    size_t bytes;
    locus_safetensors st;
    locus_net *net[LOCUS_ISA_COUNT]; // NULL where not supported; [0]: the best
} fixture;

static int fixture_open(fixture *f) // nets from f->ref
{
    int isa, ok = 1;
    raw_file *raw = raw_from_net(&f->ref);
    f->data = raw_bytes(raw, &f->bytes);
    raw_free(raw);
    ZERO(f->net);
    ok &= CHECK_STATUS(LOCUS_OK, locus_safetensors_parse(&f->st, f->data, f->bytes, NULL, &g_err));
    for (isa = 0; ok && isa < LOCUS_ISA_COUNT; isa++) {
        locus_run opts;
        ZERO(opts);
        opts.isa = (locus_isa)isa;
        if (isa && !locus_isa_supported((locus_isa)isa)) continue;
        ok &= CHECK_STATUS(LOCUS_OK, locus_net_create(&f->net[isa], &f->st, &opts, &g_err));
    }
    return ok;
}

static void fixture_close(fixture *f)
{
    int isa;
    for (isa = 0; isa < LOCUS_ISA_COUNT; isa++) locus_net_destroy(f->net[isa]);
    locus_safetensors_close(&f->st);
    free(f->data);
    ref_free(&f->ref);
}

static int fixture_make(fixture *f, size_t D, size_t d, size_t heads, size_t layers, size_t r, size_t hidden, int sab,
                        uint64_t seed)
{
    ZERO(*f);
    ref_init(&f->ref, D, d, heads, layers, r, hidden, sab, seed % 2 ? 3 : 2, seed * 7919 + g_seed);
    return fixture_open(f);
}

// Evaluation sets of M models over one table. y has NaN and u8 has 255 in the same places.
typedef struct sets {
    size_t n, M, D;
    float *q, *y;
    unsigned char *u8, *mask;
} sets;

enum { BINARY, FRACTIONAL, MIXED };

static void sets_make(sets *s, size_t n, size_t M, size_t D, int kind, double absent, double scale, uint64_t seed)
{
    ref_rng g;
    size_t i, m;
    g.state = seed * 31 + 17 + g_seed;
    s->n = n, s->M = M, s->D = D;
    s->q = floats(n * D);
    s->y = floats(M * n);
    s->u8 = (unsigned char *)xmalloc(M * n);
    s->mask = (unsigned char *)xmalloc(M * n);
    for (i = 0; i < n * D; i++) s->q[i] = (float)(scale * ref_normal(&g));
    for (m = 0; m < M; m++) {
        size_t keep = ref_range(&g, 0, n - 1); // one that stays, so that no set is empty
        int fractional = kind == FRACTIONAL || (kind == MIXED && m % 2 == 1);
        for (i = 0; i < n; i++) {
            double u = ref_uniform(&g);
            float y = fractional ? (float)u : (float)(u < 0.5);
            size_t at = m * n + i;
            s->mask[at] = (unsigned char)(i == keep || ref_uniform(&g) >= absent ? ref_range(&g, 1, 255) : 0);
            if (i != keep && ref_uniform(&g) < absent) y = f_nan();
            s->y[at] = y;
            s->u8[at] = (unsigned char)(y != y ? 255 : y >= 0.5f ? 1 : 0);
        }
    }
}

static void sets_free(sets *s) { free(s->q), free(s->y), free(s->u8), free(s->mask); }

static locus_evals sets_evals(const sets *s)
{
    locus_evals e;
    ZERO(e);
    e.queries.encodings = s->q;
    e.queries.count = s->n;
    e.queries.dim = s->D;
    e.scores.models = s->M;
    e.scores.f32 = s->y;
    e.scores.mask = s->mask;
    return e;
}

// Embeds in exactly the memory that the call wants, at an odd address, and sees that it allocates nothing and writes
// nowhere else.
static locus_status embed_run(const locus_net *net, const locus_evals *e, float *z, locus_encode_path path,
                              const locus_run *how)
{
    const size_t before = g_mallocs;
    size_t i, spoilt = 0;
    locus_run run = *how;
    unsigned char none = 0, *memory;
    locus_status s;
    run.memory = &none;
    s = locus_encode(net, e, z, path, &run, &g_err);
    if (none || g_mallocs != before) failure(__LINE__, "locus_encode allocated or wrote");
    if (s != LOCUS_ERR_MEMORY) return s;
    run.memory_bytes = g_err.bytes;
    memory = (unsigned char *)xmalloc(run.memory_bytes + 64);
    memset(memory, 0xA5, run.memory_bytes + 64);
    run.memory = memory + 1;
    s = locus_encode(net, e, z, path, &run, &g_err);
    if (g_mallocs != before) failure(__LINE__, "locus_encode allocated");
    for (i = 1; i < 64; i++) spoilt += memory[run.memory_bytes + i] != 0xA5;
    CHECK_SIZE(0, spoilt + (memory[0] != 0xA5));
    free(memory);
    return s;
}

static locus_status embed(const locus_net *net, const locus_evals *e, float *z, locus_encode_path path,
                          const locus_parallel *parallel)
{
    locus_run run;
    ZERO(run);
    run.parallel = parallel;
    return embed_run(net, e, z, path, &run);
}

// Reference embeddings of all models, and the tolerance: 2e-5 of the largest value, more where the case itself is so
// ill-conditioned that rounding of 2^-24 in the reference moves it by that much.
static double reference_sets(const ref_net *ref, const sets *s, int masked, double *z)
{
    double top = 1.0, spread = 0.0, *noisy = ref_alloc(ref->d);
    size_t m, j, k;
    for (m = 0; m < s->M; m++) {
        const unsigned char *mask = masked ? s->mask + m * s->n : NULL;
        double *row = z + m * ref->d;
        ref_encode(ref, s->q, s->n, s->y + m * s->n, mask, row);
        for (j = 0; j < ref->d; j++) top = fabs(row[j]) > top ? fabs(row[j]) : top;
        for (k = 0; k < (s->n > 20000 ? 1u : 3u); k++) {
            ref_noise = 6e-8;
            ref_encode(ref, s->q, s->n, s->y + m * s->n, mask, noisy);
            ref_noise = 0.0;
            for (j = 0; j < ref->d; j++) spread = fabs(noisy[j] - row[j]) > spread ? fabs(noisy[j] - row[j]) : spread;
        }
    }
    free(noisy);
    return 2e-5 * top > 20.0 * spread ? 2e-5 * top : 20.0 * spread;
}

// Every instruction set, both paths, against the reference.
static void against_reference(const fixture *f, const sets *s, int masked)
{
    size_t d = f->ref.d;
    double *expected = ref_alloc(s->M * d), tol = reference_sets(&f->ref, s, masked, expected);
    float *z = floats(s->M * d);
    char where[100];
    int isa, path;
    snprintf(where, sizeof where, "%.99s", g_context);
    for (isa = 1; isa < LOCUS_ISA_COUNT; isa++)
        for (path = LOCUS_ENCODE_FAST; path <= (f->ref.sab ? LOCUS_ENCODE_FAST : LOCUS_ENCODE_STREAMING); path++) {
            locus_evals e = sets_evals(s);
            if (!masked) e.scores.mask = NULL;
            if (!f->net[isa]) continue;
            context("%s %s path %d", where, locus_isa_name((locus_isa)isa), path);
            memset(z, 0xFF, s->M * d * sizeof *z);
            if (CHECK_STATUS(LOCUS_OK, embed(f->net[isa], &e, z, (locus_encode_path)path, NULL)))
                CHECK_CLOSE("z", expected, z, s->M * d, tol);
        }
    context("%s", where);
    free(expected), free(z);
}

// ---------------------------------------------------------------------------------------------------- golden vectors

// In $LOCUS_TEST_GOLDEN, else in tests/golden, else beside the repository.
static const char *golden_path(const char *name, const char *file)
{
    static char path[600];
    const char *folder = getenv("LOCUS_TEST_GOLDEN");
    FILE *there;
    snprintf(path, sizeof path, "%s/%s/%s", folder ? folder : "tests/golden", name, file);
    there = folder ? NULL : fopen(path, "rb");
    if (there) fclose(there);
    else if (!folder) snprintf(path, sizeof path, "../shared/golden/%s/%s", name, file);
    return path;
}

static float *golden_floats(const char *name, const char *file, locus_array *shape)
{
    float *p = NULL;
    if (CHECK_STATUS(LOCUS_OK, locus_npy_open(shape, golden_path(name, file), &g_err))) {
        p = floats(shape->count);
        CHECK_STATUS(LOCUS_OK, locus_array_to_f32(shape, 0, shape->count, p, &g_err));
    }
    return p;
}

// The reference's tensors from a weight file.
static void reference_from_file(ref_net *ref, const locus_safetensors *st, size_t heads)
{
    size_t i, j;
    memset(ref, 0, sizeof *ref);
    for (i = 0; i < st->tensor_count; i++) {
        const locus_tensor *t = &st->tensors[i];
        ref_tensor *r = ref_add(ref, t->name, t->rank, t->shape[0], t->shape[1], t->shape[2]);
        float *v = floats(t->count);
        CHECK_STATUS(LOCUS_OK, locus_tensor_to_f32(t, 0, t->count, v, &g_err));
        for (j = 0; j < t->count; j++) r->v[j] = (double)v[j];
        free(v);
        if (strstr(t->name, ".I")) ref->layers++;
    }
    ref->heads = heads;
    ref->d = ref_find(ref, "decoder.U.weight", "")->shape[0];
    ref->D = ref_find(ref, "decoder.U.weight", "")->shape[1];
    ref->r = ref_find(ref, "encoder.layers.0.I", "")->shape[1];
    ref->hidden = ref_find(ref, "decoder.mlp_head.0.weight", "")->shape[0];
}

static void golden_case(const char *name, size_t heads)
{
    FILE *there = fopen(golden_path(name, "model.safetensors"), "rb");
    fixture f;
    locus_array qa, ya, ma, ta, za, la;
    float *q, *y, *t, *z;
    int isa, path;
    size_t m, i, kind;
    ZERO(f);
    if (!there) {
        printf("skip golden %s: neither here nor in ../shared (the reference covers its sizes)\n", name);
        return;
    }
    fclose(there);
    if (!CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&f.st, golden_path(name, "model.safetensors"), &g_err))) return;
    q = golden_floats(name, "q_anchor.npy", &qa);
    y = golden_floats(name, "y.npy", &ya);
    t = golden_floats(name, "q_test.npy", &ta);
    if (q && y && t && CHECK_STATUS(LOCUS_OK, locus_npy_open(&ma, golden_path(name, "mask.npy"), &g_err)) &&
        CHECK_STATUS(LOCUS_OK, locus_npy_open(&za, golden_path(name, "z.npy"), &g_err)) &&
        CHECK_STATUS(LOCUS_OK, locus_npy_open(&la, golden_path(name, "logits.npy"), &g_err))) {
        size_t n = qa.shape[0], D = qa.shape[1], M = ya.shape[0], d = za.shape[1], N = ta.shape[0];
        const unsigned char *mask = (const unsigned char *)ma.data;
        const double *expected = (const double *)za.data, *logits = (const double *)la.data;
        CHECK(za.dtype == LOCUS_F64 && la.dtype == LOCUS_F64 && ma.dtype == LOCUS_U8);
        CHECK_SIZE(M * n, ma.count);
        CHECK_SIZE(M, za.shape[0]);
        CHECK_SIZE(N * M, la.count);
        reference_from_file(&f.ref, &f.st, heads);
        for (m = 0; m < M && !(g_quick && D > 100); m++) { // the second judge is judged by the first
            double *zr = ref_alloc(d);
            ref_encode(&f.ref, q, n, y + m * n, mask + m * n, zr);
            for (i = 0; i < d; i++) CHECK_NEAR(expected[m * d + i], zr[i], 1e-9);
            for (i = 0; i < N; i++) CHECK_NEAR(logits[i * M + m], ref_logit(&f.ref, zr, t + i * D), 1e-9);
            free(zr);
        }
        z = floats(M * d);
        for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
            locus_run opts;
            locus_net *net;
            ZERO(opts);
            opts.isa = (locus_isa)isa;
            if (!locus_isa_supported(opts.isa)) continue;
            if (g_quick && D > 100 && opts.isa == LOCUS_ISA_SCALAR && locus_isa_supported(LOCUS_ISA_AVX2)) continue;
            if (!CHECK_STATUS(LOCUS_OK, locus_net_create(&net, &f.st, &opts, &g_err))) continue;
            CHECK(locus_net_get_info(net).isa == opts.isa);
            for (path = LOCUS_ENCODE_AUTO; path <= LOCUS_ENCODE_STREAMING; path++)
                for (kind = 0; kind < (g_quick ? 1u : 3u); kind++) {
                    locus_evals e;
                    locus_pool *pool;
                    locus_queries tq = queries_of(t, N, D);
                    float *found = floats(N * M);
                    ZERO(e);
                    e.queries = queries_of(q, n, D);
                    e.scores.models = M;
                    e.scores.f32 = y;
                    e.scores.mask = mask;
                    context("%s %s path %d threads %zu", name, locus_isa_name(opts.isa), path, thread_counts[kind]);
                    memset(z, 0xFF, M * d * sizeof *z);
                    CHECK_STATUS(LOCUS_OK, embed(net, &e, z, (locus_encode_path)path, parallel_of(kind)));
                    CHECK_CLOSE("z", expected, z, M * d, 2e-5);
                    pool = pool_of(net, z, M);
                    CHECK_STATUS(LOCUS_OK, predict(pool, &tq, found, parallel_of(kind)));
                    CHECK_CLOSE("logits", logits, found, N * M, 2e-5);
                    locus_pool_destroy(pool);
                    for (m = 0; m < M && !(g_quick && D > 100); m++) { // one at a time
                        float *one = floats(d);
                        e.scores.models = 1;
                        e.scores.f32 = y + m * n;
                        e.scores.mask = mask + m * n;
                        CHECK_STATUS(LOCUS_OK, embed(net, &e, one, (locus_encode_path)path, parallel_of(kind)));
                        CHECK_SAME("a model alone and in the pool", z + m * d, one, d);
                        free(one);
                    }
                    free(found);
                }
            locus_net_destroy(net);
        }
        locus_array_close(&ma), locus_array_close(&za), locus_array_close(&la);
        free(z);
    }
    locus_array_close(&qa), locus_array_close(&ya), locus_array_close(&ta);
    free(q), free(y), free(t);
    locus_safetensors_close(&f.st);
    ref_free(&f.ref);
}

static void golden_tiny_is_reproduced(void) { golden_case("tiny", 2); }

static void golden_paper_is_reproduced(void) { golden_case("paper", 4); }

// ---------------------------------------------------------------------------------------------------- against the
// reference

static void random_nets_match_the_reference(void)
{
    ref_rng g;
    size_t trial;
    g.state = g_seed;
    for (trial = 0; trial < trials(160); trial++) {
        fixture f;
        sets s;
        size_t heads = ref_range(&g, 1, 5), k = ref_range(&g, 0, 2) ? 2 * ref_range(&g, 0, 4) + 1 : ref_range(&g, 1, 8);
        size_t D = ref_range(&g, 1, 40), d = heads * k, r = ref_range(&g, 1, 40), hidden = ref_range(&g, 1, 40);
        size_t layers = ref_range(&g, 1, 3), M = ref_range(&g, 1, 6),
               n = ref_range(&g, 0, 3) ? ref_range(&g, 1, 60) : ref_range(&g, 1, 300);
        int sab = trial % 4 == 3, kind = (int)ref_range(&g, 0, 2), masked = ref_range(&g, 0, 2) > 0;
        double absent = ref_range(&g, 0, 2) ? 0.6 * ref_uniform(&g) : 0.0;
        if (sab && n > 120) n = 120;
        context("trial %zu: %s D %zu d %zu heads %zu r %zu hidden %zu layers %zu n %zu M %zu", trial,
                sab ? "sab" : "isab", D, d, heads, r, hidden, layers, n, M);
        if (fixture_make(&f, D, d, heads, layers, r, hidden, sab, trial)) {
            sets_make(&s, n, M, D, kind, absent, 1.0, trial);
            against_reference(&f, &s, masked);
            sets_free(&s);
        }
        fixture_close(&f);
    }
}

static void sizes_around_internal_tiles_match_the_reference(void)
{
    static const size_t sizes[] = {1,   2,   3,   15,  16,  17,   31,   32,   33,   47,   48,  63,
                                   64,  65,  95,  96,  97,  127,  128,  129,  191,  192,  193, 255,
                                   256, 257, 511, 512, 513, 1023, 1025, 2047, 2048, 2049, 4097};
    size_t i;
    for (i = 0; i < COUNT(sizes); i++) {
        fixture f;
        sets s;
        if (g_quick && sizes[i] > 200) break;
        context("n %zu", sizes[i]);
        if (fixture_make(&f, 3, 6, 2, 1 + i % 2, 3, 5, 0, i)) {
            sets_make(&s, sizes[i], 1 + i % 3, 3, i % 2 ? BINARY : MIXED, i % 3 ? 0.0 : 0.3, 1.0, i);
            against_reference(&f, &s, i % 3 == 0);
            sets_free(&s);
        }
        fixture_close(&f);
    }
}

// Widths around the lengths of vector registers: d, heads, r, hidden and D one below, at and above 4, 8, 16, 32, 64.
static void widths_around_vector_lengths_match_the_reference(void)
{
    static const size_t widths[] = {1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65};
    size_t i;
    for (i = 0; i < COUNT(widths); i++) {
        size_t w = widths[i], other = widths[(i * 7 + 3) % COUNT(widths)];
        fixture f;
        sets s;
        if (g_quick && w > 17) break;
        context("width %zu, other %zu", w, other);
        if (fixture_make(&f, other, w, 1, 2, other, w, 0, i)) {
            sets_make(&s, 37, 2, other, MIXED, 0.2, 1.0, i);
            against_reference(&f, &s, 1);
            sets_free(&s);
        }
        fixture_close(&f);
        context("head width %zu, other %zu", w, other);
        if (w <= 33 && fixture_make(&f, w, 3 * w, 3, 1, w, other, i % 2 == 1, i + 100)) {
            sets_make(&s, 33, 1, w, FRACTIONAL, 0.0, 1.0, i);
            against_reference(&f, &s, 1);
            sets_free(&s);
        }
        if (w <= 33) fixture_close(&f);
    }
}

static void scale_tensors(ref_net *net, const char *suffix, double factor)
{
    size_t i, j, length = strlen(suffix);
    for (i = 0; i < net->count; i++) {
        size_t have = strlen(net->t[i].name);
        if (have < length || strcmp(net->t[i].name + have - length, suffix) != 0) continue;
        for (j = 0; j < net->t[i].count; j++) net->t[i].v[j] = (double)(float)(net->t[i].v[j] * factor);
    }
}

// Attention scores far from 0, to both sides, differing between rows: where softmax without its maximum overflows,
// and where all weight falls on few evaluations.
static void large_attention_scores_match_the_reference(void)
{
    static const double factors[] = {3.0, 10.0, 30.0};
    size_t i, trial;
    for (i = 0; i < COUNT(factors); i++)
        for (trial = 0; trial < trials(8); trial++) {
            fixture f;
            sets s;
            size_t j;
            int sab = trial % 4 == 1;
            ZERO(f);
            ref_init(&f.ref, 9, 12, 3, 2, 11, 6, sab, 3, 500 + trial + g_seed);
            scale_tensors(&f.ref, ".I", trial % 2 ? 1.0 : factors[i]);
            scale_tensors(&f.ref, "pma.S", trial % 2 ? 1.0 : factors[i]);
            scale_tensors(&f.ref, ".W_q.weight", trial == 2 ? 1.0 : factors[i]);
            scale_tensors(&f.ref, ".W_k.weight", factors[i]);
            if (trial >= 4) { // a common offset of all tokens: every score of a row is far above, or far below 0
                ref_tensor *b = ref_find(&f.ref, "encoder.input.0.bias", "");
                for (j = 0; j < b->count; j++) b->v[j] = (double)(float)(b->v[j] * 10.0 * factors[i]);
            }
            context("factor %g trial %zu%s", factors[i], trial, sab ? " sab" : "");
            if (fixture_open(&f)) {
                sets_make(&s, 150, 2, 9, MIXED, 0.2, 1.0, trial);
                against_reference(&f, &s, 1);
                sets_free(&s);
            }
            fixture_close(&f);
        }
}

static void tiny_and_huge_encodings_match_the_reference(void)
{
    static const double scales[] = {1e-6, 1e-3, 1e3, 1e5};
    size_t i;
    for (i = 0; i < COUNT(scales); i++) {
        fixture f;
        sets s;
        context("encodings scaled by %g", scales[i]);
        if (fixture_make(&f, 10, 12, 2, 2, 7, 9, 0, 40 + i)) {
            sets_make(&s, 130, 2, 10, MIXED, 0.1, scales[i], i);
            against_reference(&f, &s, 1);
            sets_free(&s);
        }
        fixture_close(&f);
    }
}

static void encodings_of_very_different_length_match_the_reference(void)
{
    size_t trial, i;
    for (trial = 0; trial < trials(8); trial++) {
        fixture f;
        sets s;
        context("trial %zu", trial);
        if (fixture_make(&f, 6, 12, 3, 2, 7, 9, trial % 4 == 3, 50 + trial)) {
            sets_make(&s, 140, 2, 6, MIXED, 0.1, 1.0, trial);
            for (i = 0; i < s.n * s.D; i++) s.q[i] *= (float)pow(10.0, (double)(i / s.D * (trial + 3) % 9) - 5.0);
            against_reference(&f, &s, 1);
            sets_free(&s);
        }
        fixture_close(&f);
    }
}

static void instruction_sets_agree_to_1e5_of_the_norm(void)
{
    size_t trial, m, j;
    int isa;
    for (trial = 0; trial < trials(8); trial++) {
        fixture f;
        sets s;
        size_t d = 32;
        if (fixture_make(&f, 24, d, 4, 2, 16, 8, trial % 4 == 3, trial)) {
            float *a = floats(3 * d), *b = floats(3 * d);
            locus_evals e;
            sets_make(&s, 100, 3, 24, MIXED, 0.2, 1.0, trial);
            e = sets_evals(&s);
            CHECK_STATUS(LOCUS_OK, embed(f.net[LOCUS_ISA_SCALAR], &e, a, LOCUS_ENCODE_AUTO, NULL));
            for (isa = 2; isa < LOCUS_ISA_COUNT; isa++) {
                if (!f.net[isa]) continue;
                context("trial %zu %s against scalar", trial, locus_isa_name((locus_isa)isa));
                CHECK_STATUS(LOCUS_OK, embed(f.net[isa], &e, b, LOCUS_ENCODE_AUTO, NULL));
                for (m = 0; m < 3; m++) {
                    double norm = 0.0, diff = 0.0;
                    for (j = m * d; j < (m + 1) * d; j++) {
                        norm += (double)a[j] * (double)a[j];
                        diff += ((double)a[j] - (double)b[j]) * ((double)a[j] - (double)b[j]);
                    }
                    CHECK_NEAR(0.0, sqrt(diff / norm), 1e-5);
                }
            }
            free(a), free(b);
            sets_free(&s);
        }
        fixture_close(&f);
    }
}

// The comparison itself must be able to fail: a 10 % change of any one tensor in the reference is noticed.
static void every_tensor_matters_to_the_comparison(void)
{
    int sab;
    for (sab = 0; sab < 2; sab++) {
        fixture f;
        sets s;
        size_t i, j, d = 12, at;
        if (fixture_make(&f, 7, d, 3, 2, 5, 9, sab, 77)) {
            double *clean = ref_alloc(d), *spoilt = ref_alloc(d), tol;
            float *z = floats(d), *query = normals(7, 1.0, 8);
            locus_evals e;
            sets_make(&s, 23, 1, 7, FRACTIONAL, 0.2, 1.0, 5);
            e = sets_evals(&s);
            CHECK_STATUS(LOCUS_OK, embed(f.net[0], &e, z, LOCUS_ENCODE_AUTO, NULL));
            tol = reference_sets(&f.ref, &s, 1, clean);
            for (i = 0; i < f.ref.count; i++) {
                ref_tensor *t = &f.ref.t[i];
                double *keep = ref_alloc(t->count), logit = ref_logit(&f.ref, clean, query), change;
                memcpy(keep, t->v, t->count * sizeof(double));
                for (j = 0; j < t->count; j++) t->v[j] *= j % 2 ? 0.9 : 1.1;
                ref_encode(&f.ref, s.q, s.n, s.y, s.mask, spoilt);
                change = strncmp(t->name, "encoder.", 8) == 0 ? worst(spoilt, z, d, &at)
                                                              : fabs(ref_logit(&f.ref, clean, query) - logit);
                context("%s changed by 10 %%", t->name);
                CHECK(change > tol);
                memcpy(t->v, keep, t->count * sizeof(double));
                free(keep);
            }
            context("%s", "");
            CHECK_CLOSE("z", clean, z, d, tol);
            free(clean), free(spoilt), free(z), free(query);
            sets_free(&s);
        }
        fixture_close(&f);
    }
}

// ---------------------------------------------------------------------------------------------------- bit-identity

// Runs all paths, instruction sets and ways of threading over `e` and expects exactly `expected[isa]`.
static void expect_bits(const fixture *f, const locus_evals *e, float *const *expected, const char *what)
{
    size_t d = f->ref.d, kind;
    float *z = floats(e->scores.models * d);
    int isa, path;
    for (isa = 1; isa < LOCUS_ISA_COUNT; isa++)
        for (path = LOCUS_ENCODE_AUTO; path <= (f->ref.sab ? LOCUS_ENCODE_FAST : LOCUS_ENCODE_STREAMING); path++)
            for (kind = 0; kind < THREAD_KINDS; kind++) {
                if (!f->net[isa] || (g_quick && kind != 0 && kind != 4)) continue;
                context("%s%s path %d threading %zu", f->ref.sab ? "sab " : "", locus_isa_name((locus_isa)isa), path,
                        kind);
                memset(z, 0xFF, e->scores.models * d * sizeof *z);
                CHECK_STATUS(LOCUS_OK, embed(f->net[isa], e, z, (locus_encode_path)path, parallel_of(kind)));
                CHECK_SAME(what, expected[isa], z, e->scores.models * d);
            }
    context("%s", "");
    free(z);
}

static void shuffle(size_t *order, size_t n, ref_rng *g)
{
    size_t i;
    for (i = 0; i < n; i++) order[i] = i;
    for (i = n; i > 1; i--) {
        size_t j = ref_range(g, 0, i - 1), t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
}

static void bits_case(size_t n, size_t M, int kind, int sab, double factor, uint64_t seed)
{
    fixture f;
    sets s;
    size_t D = 13, d = 20, i, j, m;
    ref_rng g;
    float *expected[LOCUS_ISA_COUNT];
    int isa;
    g.state = seed;
    ZERO(f);
    ref_init(&f.ref, D, d, 4, 2, 9, 8, sab, 3, seed + g_seed);
    scale_tensors(&f.ref, ".W_q.weight", factor);
    if (!fixture_open(&f)) {
        fixture_close(&f);
        return;
    }
    sets_make(&s, n, M, D, kind, 0.25, 1.0, seed);
    for (i = 0; i < n * D && kind == MIXED;
         i++) // lengths from 1e-3 to 1e3: what one model uses must not matter to another
        s.q[i] *= (float)pow(10.0, (double)(i / D % 7) - 3.0);
    for (i = 6; i < n && kind == MIXED && n > 20; i += 7) // the longest are one model's alone
        for (m = 0; m < M; m++)
            if (m != i / 7 % M || m == 0) s.mask[m * n + i] = 0;
    for (isa = 0; isa < LOCUS_ISA_COUNT; isa++) expected[isa] = floats(M * d);

    // The yardstick: every model alone, only the rows that count, float scores, one thread.
    for (m = 0; m < M; m++) {
        float *q = floats(n * D), *y = floats(n);
        size_t used = 0;
        locus_evals e;
        for (i = 0; i < n; i++) {
            float score = s.y[m * n + i];
            if (!s.mask[m * n + i] || score != score) continue;
            memcpy(q + used * D, s.q + i * D, D * sizeof *q);
            y[used++] = score;
        }
        ZERO(e);
        e.queries = queries_of(q, used, D);
        e.scores.models = 1;
        e.scores.f32 = y;
        for (isa = 1; isa < LOCUS_ISA_COUNT; isa++)
            if (f.net[isa])
                CHECK_STATUS(LOCUS_OK, embed(f.net[isa], &e, expected[isa] + m * d, LOCUS_ENCODE_FAST, NULL));
        free(q), free(y);
    }
    {
        locus_evals e = sets_evals(&s);
        expect_bits(&f, &e, expected, "a pool with masks and missing scores, against each model alone and gathered");
        if (kind == BINARY) {
            e.scores.f32 = NULL;
            e.scores.u8 = s.u8;
            expect_bits(&f, &e, expected, "u8 scores");
        }
    }
    { // masks and missing scores are the same thing
        float *y = floats(M * n);
        locus_evals e = sets_evals(&s);
        for (i = 0; i < M * n; i++) y[i] = s.mask[i] ? s.y[i] : f_nan();
        e.scores.f32 = y;
        e.scores.mask = NULL;
        expect_bits(&f, &e, expected, "masked rows as missing scores");
        for (i = 0; i < M * n; i++) y[i] = s.mask[i] && s.y[i] == s.y[i] ? s.y[i] : i % 3 ? 1e30f : -7.5f;
        {
            unsigned char *mask = (unsigned char *)xmalloc(M * n);
            for (i = 0; i < M * n; i++) mask[i] = (unsigned char)(s.mask[i] && s.y[i] == s.y[i]);
            e.scores.mask = mask;
            expect_bits(&f, &e, expected, "missing scores as masked nonsense");
            free(mask);
        }
        free(y);
    }
    { // another order, with a stride, with junk in rows that nobody uses and between the rows
        size_t stride = D + 3, rows = n + 5, *order = (size_t *)xmalloc(rows * sizeof *order);
        float *q = floats(rows * stride), *y = floats(M * rows);
        unsigned char *mask = (unsigned char *)xmalloc(M * rows);
        locus_evals e;
        shuffle(order, rows, &g);
        for (i = 0; i < rows; i++) {
            size_t from = order[i];
            int used = 0;
            for (m = 0; m < M; m++) {
                float score = from < n ? s.y[m * n + from] : 0.5f;
                mask[m * rows + i] = (unsigned char)(from < n ? s.mask[m * n + from] : 0);
                y[m * rows + i] = score;
                used |= mask[m * rows + i] && score == score;
            }
            for (j = 0; j < stride; j++)
                q[i * stride + j] = j < D && used ? s.q[from * D + j]
                                    : j % 3 == 0  ? f_nan()
                                    : j % 3 == 1  ? 1e30f
                                                  : -f_inf();
        }
        ZERO(e);
        e.queries = queries_of(q, rows, D);
        e.queries.stride = stride;
        e.scores.models = M;
        e.scores.f32 = y;
        e.scores.mask = mask;
        expect_bits(&f, &e, expected, "shuffled, strided, with junk in unused rows");
        free(order), free(q), free(y), free(mask);
    }
    { // models in reverse order, so that the pools that share work differ
        float *y = floats(M * n), *back[LOCUS_ISA_COUNT];
        unsigned char *mask = (unsigned char *)xmalloc(M * n);
        locus_evals e = sets_evals(&s);
        for (m = 0; m < M; m++) {
            memcpy(y + m * n, s.y + (M - 1 - m) * n, n * sizeof *y);
            memcpy(mask + m * n, s.mask + (M - 1 - m) * n, n);
        }
        for (isa = 0; isa < LOCUS_ISA_COUNT; isa++) {
            back[isa] = floats(M * d);
            for (m = 0; m < M; m++)
                if (f.net[isa] && isa) memcpy(back[isa] + m * d, expected[isa] + (M - 1 - m) * d, d * sizeof(float));
        }
        e.scores.f32 = y;
        e.scores.mask = mask;
        expect_bits(&f, &e, back, "models in reverse order");
        for (isa = 0; isa < LOCUS_ISA_COUNT; isa++) free(back[isa]);
        free(y), free(mask);
    }
    for (isa = 0; isa < LOCUS_ISA_COUNT; isa++) free(expected[isa]);
    sets_free(&s);
    fixture_close(&f);
}

static void embeddings_are_bit_identical_in_every_way_of_asking_01(void)
{
    bits_case(61, 4, BINARY, 0, 1.0, 1);
    bits_case(3, 2, BINARY, 0, 1.0, 2);
    if (!g_quick) bits_case(700, 3, BINARY, 0, 1.0, 3);
}

static void embeddings_are_bit_identical_in_every_way_of_asking_fractional(void)
{
    bits_case(97, 3, FRACTIONAL, 0, 1.0, 4);
    if (!g_quick) bits_case(1, 2, FRACTIONAL, 0, 1.0, 5);
}

static void embeddings_are_bit_identical_in_every_way_of_asking_mixed(void)
{
    bits_case(64, 5, MIXED, 0, 1.0, 6);
    if (!g_quick) bits_case(193, 4, MIXED, 0, 20.0, 7);
}

static void embeddings_are_bit_identical_in_every_way_of_asking_sab(void)
{
    bits_case(40, 3, BINARY, 1, 1.0, 8);
    bits_case(g_quick ? 35 : 101, 3, MIXED, 1, 5.0, 9);
}

// Also with attention scores over many powers of two, rising and falling through the set.
static void large_sets_are_bit_identical_in_every_order(void)
{
    size_t n = g_quick ? 600 : 5000, D = 5, d = 8, turn, i;
    for (turn = 0; turn < 4; turn++) {
        fixture f;
        sets s;
        ZERO(f);
        ref_init(&f.ref, D, d, 2, 2, 6, 4, 0, 3, 11 + turn + g_seed);
        scale_tensors(&f.ref, ".W_q.weight", turn ? 100.0 : 1.0);
        if (fixture_open(&f)) {
            size_t *order = (size_t *)xmalloc(n * sizeof *order), kind;
            float *q = floats(n * D), *y = floats(n), a[8], b[8];
            ref_rng g;
            int isa, path;
            g.state = 12;
            sets_make(&s, n, 1, D, FRACTIONAL, 0.0, 1.0, 13);
            for (i = 0; i < n * D && turn >= 2; i++) s.q[i] *= (float)(i / D) / (float)n; // tokens grow with the row
            shuffle(order, n, &g);
            for (i = 0; i < n && turn == 3; i++) order[i] = n - 1 - i;
            for (i = 0; i < n; i++) {
                memcpy(q + i * D, s.q + order[i] * D, D * sizeof *q);
                y[i] = s.y[order[i]];
            }
            for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
                locus_evals e = sets_evals(&s);
                if (!f.net[isa]) continue;
                CHECK_STATUS(LOCUS_OK, embed(f.net[isa], &e, a, LOCUS_ENCODE_FAST, NULL));
                e.queries.encodings = q;
                e.scores.f32 = y;
                e.scores.mask = NULL;
                for (path = LOCUS_ENCODE_FAST; path <= LOCUS_ENCODE_STREAMING; path++)
                    for (kind = 0; kind < 3; kind += 2) {
                        context("case %zu %s path %d threads %zu", turn, locus_isa_name((locus_isa)isa), path,
                                kind + 1);
                        CHECK_STATUS(LOCUS_OK, embed(f.net[isa], &e, b, (locus_encode_path)path, parallel_of(kind)));
                        CHECK_SAME("another order", a, b, 8);
                    }
            }
            context("case %zu", turn);
            s.n = n < 1500 ? n : 1500; // and right
            against_reference(&f, &s, 0);
            s.n = n;
            free(order), free(q), free(y);
            sets_free(&s);
        }
        fixture_close(&f);
    }
}

// Scores beyond all reason: an answer or an error, no NaN and no undefined behaviour.
static void absurd_attention_scores_are_survived(void)
{
    static const double factors[] = {1e2, 1e4, 1e6, 1e8, 1e10};
    size_t i, j;
    int isa, path, sab;
    for (sab = 0; sab < 2; sab++)
        for (i = 0; i < COUNT(factors); i++) {
            fixture f;
            sets s;
            ZERO(f);
            ref_init(&f.ref, 6, 8, 2, 2, 5, 4, sab, 3, 70 + g_seed);
            scale_tensors(&f.ref, ".I", factors[i]);
            scale_tensors(&f.ref, ".W_q.weight", factors[i]);
            scale_tensors(&f.ref, ".W_k.weight", factors[i]);
            context("factor %g", factors[i]);
            if (fixture_open(&f)) {
                sets_make(&s, 200, 1, 6, MIXED, 0.1, i % 2 ? 1e6 : 1.0, 71);
                for (isa = 1; isa < LOCUS_ISA_COUNT; isa++)
                    for (path = LOCUS_ENCODE_FAST; path <= (sab ? LOCUS_ENCODE_FAST : LOCUS_ENCODE_STREAMING); path++) {
                        locus_evals e = sets_evals(&s);
                        locus_status status;
                        float z[8];
                        if (!f.net[isa]) continue;
                        context("factor %g %s path %d", factors[i], locus_isa_name((locus_isa)isa), path);
                        status = embed(f.net[isa], &e, z, (locus_encode_path)path, NULL);
                        if (status) CHECK_GOT(LOCUS_ERR_NONFINITE, status);
                        for (j = 0; j < 8 && !status; j++) CHECK(z[j] - z[j] == 0.0f);
                    }
                sets_free(&s);
            }
            fixture_close(&f);
        }
}

// Long sums: many rows, all different, or all the same so that every weight is the largest possible.
static void hundreds_of_thousands_of_evaluations_match_the_reference(void)
{
    size_t n = g_quick ? 9000 : 300000, D = 2, d = 4, same, i, kind;
    for (same = 0; same < 2; same++) {
        fixture f;
        sets s;
        if (fixture_make(&f, D, d, 2, 1, 3, 4, 0, 17)) {
            double *expected = ref_alloc(d), tol;
            float a[4], b[4];
            int isa, path;
            locus_evals e;
            sets_make(&s, n, 1, D, FRACTIONAL, 0.0, 1.0, 18);
            for (i = 0; i < n && same; i++) {
                memcpy(s.q + i * D, s.q, D * sizeof(float));
                s.y[i] = s.y[0];
            }
            context("%zu evaluations%s", n, same ? ", all the same" : "");
            tol = reference_sets(&f.ref, &s, 0, expected);
            e = sets_evals(&s);
            e.scores.mask = NULL;
            for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
                if (!f.net[isa]) continue;
                CHECK_STATUS(LOCUS_OK, embed(f.net[isa], &e, a, LOCUS_ENCODE_FAST, NULL));
                CHECK_CLOSE("z", expected, a, d, tol);
                for (path = LOCUS_ENCODE_FAST; path <= LOCUS_ENCODE_STREAMING; path++)
                    for (kind = 0; kind < THREAD_KINDS; kind += 2) {
                        CHECK_STATUS(LOCUS_OK, embed(f.net[isa], &e, b, (locus_encode_path)path, parallel_of(kind)));
                        CHECK_SAME("another path or threading", a, b, d);
                    }
                if (same) { // as one evaluation alone
                    e.queries.count = 1;
                    CHECK_STATUS(LOCUS_OK, embed(f.net[isa], &e, b, LOCUS_ENCODE_FAST, NULL));
                    CHECK_CLOSE("one evaluation against many copies", expected, b, d, tol);
                    e.queries.count = n;
                }
            }
            free(expected);
            sets_free(&s);
        }
        fixture_close(&f);
    }
}

// Many equal rows whose scores are swept through a range of sizes: sums as large as they can become.
static void large_sums_do_not_overflow(void)
{
    size_t n = g_quick ? 3000 : 60000, D = 1, d = 4, turn, i, j;
    for (turn = 0; turn < (g_quick ? 5u : 12u); turn++) {
        fixture f;
        locus_evals e;
        float *q = floats(n), *y = floats(n), a[4], b[4];
        int isa, path;
        ZERO(f);
        ref_init(&f.ref, D, d, 1, 1, 16, 2, 0, 3, 400 + turn + g_seed);
        scale_tensors(&f.ref, "mab1.W_q.weight", 1.0 + (double)(turn % 40));
        for (i = 0; i < n; i++) q[i] = 2.0f, y[i] = turn % 2 ? 1.0f : 0.75f;
        ZERO(e);
        e.queries = queries_of(q, n, D);
        e.scores.models = 1;
        e.scores.f32 = y;
        context("turn %zu", turn);
        if (fixture_open(&f))
            for (isa = 1; isa < LOCUS_ISA_COUNT; isa++)
                for (path = LOCUS_ENCODE_FAST; path <= LOCUS_ENCODE_STREAMING; path++) {
                    if (!f.net[isa]) continue;
                    e.queries.count = 1;
                    CHECK_STATUS(LOCUS_OK, embed(f.net[isa], &e, a, (locus_encode_path)path, NULL));
                    e.queries.count = n;
                    CHECK_STATUS(LOCUS_OK, embed(f.net[isa], &e, b, (locus_encode_path)path, NULL));
                    for (j = 0; j < d; j++) CHECK_NEAR((double)a[j], (double)b[j], 1e-4);
                }
        fixture_close(&f);
        free(q), free(y);
    }
}

static void repeated_evaluations_change_little(void)
{
    static const size_t copies[] = {2, 3, 7};
    fixture f;
    sets s;
    size_t n = 50, D = 6, d = 16, c, i, k;
    if (fixture_make(&f, D, d, 2, 2, 5, 4, 0, 14)) {
        float *a = floats(d), *b = floats(d);
        int isa;
        sets_make(&s, n, 1, D, MIXED, 0.0, 1.0, 15);
        for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
            locus_evals e = sets_evals(&s);
            e.scores.mask = NULL;
            if (!f.net[isa]) continue;
            CHECK_STATUS(LOCUS_OK, embed(f.net[isa], &e, a, LOCUS_ENCODE_AUTO, NULL));
            for (c = 0; c < COUNT(copies); c++) {
                size_t total = n * copies[c];
                float *q = floats(total * D), *y = floats(total);
                double *wide = ref_alloc(d);
                for (i = 0; i < n; i++)
                    for (k = 0; k < copies[c]; k++) {
                        memcpy(q + (k * n + i) * D, s.q + i * D, D * sizeof *q);
                        y[k * n + i] = s.y[i];
                    }
                e.queries = queries_of(q, total, D);
                e.scores.f32 = y;
                CHECK_STATUS(LOCUS_OK, embed(f.net[isa], &e, b, LOCUS_ENCODE_AUTO, NULL));
                for (i = 0; i < d; i++) wide[i] = (double)a[i];
                context("%s %zu copies", locus_isa_name((locus_isa)isa), copies[c]);
                CHECK_CLOSE("z", wide, b, d, 1e-5);
                free(q), free(y), free(wide);
            }
        }
        free(a), free(b);
        sets_free(&s);
    }
    fixture_close(&f);
}

#ifndef LOCUS_NO_THREADS
typedef struct concurrent {
    const locus_net *net;
    const locus_evals *evals;
    float *z[6];
    locus_status status[6];
} concurrent;

static void concurrent_task(void *arg, size_t i)
{
    concurrent *c = (concurrent *)arg;
    size_t k;
    for (k = 0; k < 3; k++) c->status[i] = locus_encode(c->net, c->evals, c->z[i], LOCUS_ENCODE_AUTO, NULL, NULL);
}

static void one_net_serves_several_threads_at_a_time(void)
{
    fixture f;
    sets s;
    size_t i;
    if (fixture_make(&f, 8, 12, 3, 1, 4, 4, 0, 21)) {
        concurrent c;
        float *z = floats(2 * 12);
        locus_evals e;
        const locus_parallel *p = parallel_of(3);
        sets_make(&s, 40, 2, 8, MIXED, 0.2, 1.0, 22);
        e = sets_evals(&s);
        CHECK_STATUS(LOCUS_OK, embed(f.net[0], &e, z, LOCUS_ENCODE_AUTO, NULL));
        c.net = f.net[0];
        c.evals = &e;
        for (i = 0; i < 6; i++) {
            c.z[i] = floats(2 * 12);
            c.status[i] = LOCUS_ERR_CANCELLED;
        }
        CHECK(p != NULL);
        if (p) {
            CHECK_SIZE(7, p->threads);
            p->run(p->user, concurrent_task, &c, 6);
        }
        for (i = 0; i < 6; i++) {
            CHECK_SIZE(LOCUS_OK, c.status[i]);
            CHECK_SAME("z of one thread", z, c.z[i], 2 * 12);
            free(c.z[i]);
        }
        free(z);
        sets_free(&s);
    }
    fixture_close(&f);
}

typedef struct tally {
    unsigned char hit[64];
} tally;

static void tally_task(void *arg, size_t i) { ((tally *)arg)->hit[i]++; }

static void thread_pool_runs_every_task_once(void)
{
    size_t count, threads, i, round;
    for (threads = 1; threads <= 9; threads += 4) {
        const locus_parallel *p = NULL;
        if (!CHECK_STATUS(LOCUS_OK, locus_threads_create(&p, threads, &g_err))) continue;
        CHECK(p->threads >= 1 && p->threads <= threads);
        for (round = 0; round < trials(200); round++)
            for (count = 0; count <= p->threads; count++) {
                tally all;
                ZERO(all);
                p->run(p->user, tally_task, &all, count);
                for (i = 0; i < 64; i++)
                    if (all.hit[i] != (i < count)) CHECK_SIZE(i < count, all.hit[i]);
            }
        locus_threads_destroy(p);
    }
    {
        const locus_parallel *p = NULL;
        CHECK_STATUS(LOCUS_OK, locus_threads_create(&p, 0, &g_err));
        CHECK(p->threads >= 1);
        locus_threads_destroy(p);
        locus_threads_destroy(NULL);
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_threads_create(NULL, 2, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_threads_create(&p, 1025, &g_err));
        CHECK(p == NULL);
    }
}
#endif

static void callers_own_parallel_for_is_used(void)
{
    fixture f;
    sets s;
    if (fixture_make(&f, 8, 12, 3, 2, 4, 4, 0, 23)) {
        float *z = floats(6 * 12);
        locus_evals e;
        size_t before = g_backward_tasks;
        sets_make(&s, 300, 6, 8, BINARY, 0.0, 1.0, 24);
        e = sets_evals(&s);
        CHECK_STATUS(LOCUS_OK, embed(f.net[0], &e, z, LOCUS_ENCODE_AUTO, &g_backwards));
        CHECK(g_backward_tasks > before);
        free(z);
        sets_free(&s);
    }
    fixture_close(&f);
}

// ---------------------------------------------------------------------------------------------------- errors of the
// encoder

static int cancel_at(void *user, size_t done, size_t total)
{
    size_t *calls = (size_t *)user;
    if (done > total) failure(__LINE__, "progress: %zu done of %zu", done, total);
    return --*calls == 0;
}

static void encoder_rejects_bad_input(void)
{
    fixture f;
    sets s;
    size_t n = 9, M = 3, D = 4, d = 6, i;
    int path;
    if (!fixture_make(&f, D, d, 2, 1, 3, 4, 0, 31)) return;
    sets_make(&s, n, M, D, BINARY, 0.0, 1.0, 32);
    for (path = LOCUS_ENCODE_AUTO; path <= LOCUS_ENCODE_STREAMING; path++) {
        const locus_net *net = f.net[0];
        float *z = floats(M * d), *y = floats(M * n), *q = floats(n * D);
        unsigned char *u8 = (unsigned char *)xmalloc(M * n), *mask = (unsigned char *)xmalloc(M * n);
        static const float bad_scores[] = {1.5f, -0.1f, 1.0001f, -1e-30f, 7.0f, 255.0f, 1e30f};
        locus_evals e, bad;
        locus_encode_path p = (locus_encode_path)path;
        memcpy(y, s.y, M * n * sizeof *y);
        memcpy(q, s.q, n * D * sizeof *q);
        memcpy(u8, s.u8, M * n);
        memset(mask, 1, M * n);
        ZERO(e);
        e.queries = queries_of(q, n, D);
        e.scores.models = M;
        e.scores.f32 = y;
        e.scores.mask = mask;
        context("path %d", path);
        CHECK_STATUS(LOCUS_OK, embed(net, &e, z, p, NULL));

        // scores
        for (i = 0; i < COUNT(bad_scores) + 2; i++) {
            float keep = y[n + 4];
            y[n + 4] = i < COUNT(bad_scores) ? bad_scores[i] : i == COUNT(bad_scores) ? f_inf() : -f_inf();
            CHECK_STATUS(LOCUS_ERR_SCORE, embed(net, &e, z, p, NULL));
            CHECK(g_err.where[0] && g_err.expected[0] && g_err.found[0]);
            mask[n + 4] = 0;
            CHECK_STATUS(LOCUS_OK, embed(net, &e, z, p, NULL));
            mask[n + 4] = 1;
            y[n + 4] = keep;
        }
        y[0] = 0.0f, y[1] = 1.0f, y[2] = FLT_MIN, y[3] = 1.0f - FLT_EPSILON / 2.0f, y[4] = -0.0f;
        CHECK_STATUS(LOCUS_OK, embed(net, &e, z, p, NULL));
        for (i = 2; i < 255; i += 84) {
            bad = e;
            bad.scores.f32 = NULL;
            bad.scores.u8 = u8;
            u8[2 * n + 8] = (unsigned char)(i == 2 ? 2 : i == 86 ? 7 : 254);
            CHECK_STATUS(LOCUS_ERR_SCORE, embed(net, &bad, z, p, NULL));
            u8[2 * n + 8] = 255;
            CHECK_STATUS(LOCUS_OK, embed(net, &bad, z, p, NULL));
        }

        // empty sets
        for (i = 0; i < n; i++) y[1 * n + i] = f_nan();
        CHECK_STATUS(LOCUS_ERR_EMPTY_SET, embed(net, &e, z, p, NULL));
        CHECK_MESSAGE("1");
        memcpy(y, s.y, M * n * sizeof *y);
        memset(mask + 2 * n, 0, n);
        CHECK_STATUS(LOCUS_ERR_EMPTY_SET, embed(net, &e, z, p, NULL));
        CHECK_MESSAGE("2");
        memset(mask, 1, M * n);
        bad = e;
        bad.queries.count = 0;
        CHECK_ONE_OF(LOCUS_ERR_EMPTY_SET, LOCUS_ERR_ARGUMENT, embed(net, &bad, z, p, NULL));

        // encodings
        for (i = 0; i < 5; i++) {
            float keep = q[5 * D + 1];
            size_t m;
            q[5 * D + 1] = i == 0 ? f_nan() : i == 1 ? f_inf() : i == 2 ? -f_inf() : i == 3 ? 1e30f : -FLT_MAX;
            CHECK_STATUS(LOCUS_ERR_NONFINITE, embed(net, &e, z, p, NULL));
            CHECK_MESSAGE("5");
            for (m = 0; m < M; m++) mask[m * n + 5] = 0;
            CHECK_STATUS(LOCUS_OK, embed(net, &e, z, p, NULL));
            mask[2 * n + 5] = 1; // used by one model: enough
            CHECK_STATUS(LOCUS_ERR_NONFINITE, embed(net, &e, z, p, NULL));
            memset(mask, 1, M * n);
            q[5 * D + 1] = keep;
        }
        bad = e;
        bad.queries.dim = D + 1;
        CHECK_STATUS(LOCUS_ERR_QUERY_DIM, embed(net, &bad, z, p, NULL));
        bad.queries.dim = D - 1;
        CHECK_STATUS(LOCUS_ERR_QUERY_DIM, embed(net, &bad, z, p, NULL));
        bad = e;
        bad.queries.stride = D - 1;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, embed(net, &bad, z, p, NULL));

        // memory, at every alignment: enough, and a byte less than would do
        for (i = 0; i < 65; i++) {
            locus_run run;
            unsigned char *memory;
            size_t bytes;
            ZERO(run);
            run.memory = &run;
            CHECK_STATUS(LOCUS_ERR_MEMORY, locus_encode(net, &e, z, p, &run, &g_err));
            bytes = g_err.bytes;
            memory = (unsigned char *)xmalloc(bytes + i);
            run.memory = memory + i;
            run.memory_bytes = bytes;
            CHECK_STATUS(LOCUS_OK, locus_encode(net, &e, z, p, &run, &g_err));
            run.memory_bytes = bytes - 128;
            if (p == LOCUS_ENCODE_AUTO) { // of so few evaluations the fast path takes less
                CHECK_STATUS(LOCUS_OK, locus_encode(net, &e, z, p, &run, &g_err));
            } else {
                CHECK_STATUS(LOCUS_ERR_MEMORY, locus_encode(net, &e, z, p, &run, &g_err));
                CHECK(g_err.bytes > bytes - 64 && g_err.bytes < bytes + 64);
            }
            free(memory);
        }

        // arguments
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_encode(NULL, &e, z, p, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_encode(net, NULL, z, p, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_encode(net, &e, NULL, p, NULL, &g_err));
        bad = e;
        bad.scores.f32 = NULL;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, embed(net, &bad, z, p, NULL));
        bad = e;
        bad.scores.u8 = u8;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, embed(net, &bad, z, p, NULL));
        bad = e;
        bad.queries.encodings = NULL;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, embed(net, &bad, z, p, NULL));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, embed(net, &e, z, (locus_encode_path)3, NULL));
        CHECK(locus_encode(net, &e, z, (locus_encode_path)3, NULL, NULL) == LOCUS_ERR_ARGUMENT); // no struct, no crash
        free(z), free(y), free(q), free(u8), free(mask);
    }
    sets_free(&s);
    fixture_close(&f);
}

static void encoder_can_be_cancelled(void)
{
    int path;
    fixture f;
    sets s;
    if (!fixture_make(&f, 8, 16, 2, 2, 8, 4, 0, 33)) return;
    sets_make(&s, 700, 4, 8, BINARY, 0.0, 1.0, 34);
    for (path = LOCUS_ENCODE_FAST; path <= LOCUS_ENCODE_STREAMING; path++) {
        locus_evals e = sets_evals(&s);
        const locus_net *net = f.net[0];
        const locus_encode_path p = (locus_encode_path)path;
        size_t calls, kind;
        float z[4 * 16], again[4 * 16];
        locus_run run;
        ZERO(run);
        for (kind = 0; kind < THREAD_KINDS; kind += 2) {
            run.parallel = parallel_of(kind);
            run.progress = cancel_at;
            run.user = &calls;
            context("path %d threading %zu", path, kind);
            calls = 1;
            CHECK_STATUS(LOCUS_ERR_CANCELLED, embed_run(net, &e, z, p, &run));
            calls = 2;
            CHECK_STATUS(LOCUS_ERR_CANCELLED, embed_run(net, &e, z, p, &run));
            calls = 1000000000;
            CHECK_STATUS(LOCUS_OK, embed_run(net, &e, z, p, &run));
            run.progress = NULL;
            CHECK_STATUS(LOCUS_OK, embed_run(net, &e, again, p, &run));
            CHECK_SAME("z with and without a progress function", again, z, 64);
        }
    }
    sets_free(&s);
    fixture_close(&f);
}

// Streaming takes as much for many evaluations as for few; auto takes to it where the fast path would not fit.
static void streaming_memory_does_not_depend_on_n(void)
{
    fixture f;
    sets s;
    if (fixture_make(&f, 8, 16, 2, 2, 8, 4, 0, 35)) {
        float z[16], again[16];
        size_t bytes[4], i;
        locus_evals e;
        locus_run run;
        ZERO(run);
        run.memory = &run;
        sets_make(&s, 5000, 1, 8, BINARY, 0.0, 1.0, 34);
        e = sets_evals(&s);
        for (i = 0; i < 4; i++) {
            e.queries.count = i % 2 ? 5000 : 1000;
            CHECK_STATUS(
                LOCUS_ERR_MEMORY,
                locus_encode(f.net[0], &e, z, i < 2 ? LOCUS_ENCODE_STREAMING : LOCUS_ENCODE_FAST, &run, &g_err));
            bytes[i] = g_err.bytes;
        }
        CHECK_SIZE(bytes[0], bytes[1]);
        CHECK(bytes[3] > 3 * bytes[2] && bytes[2] > bytes[1]);
        CHECK_STATUS(LOCUS_OK, embed(f.net[0], &e, z, LOCUS_ENCODE_FAST, NULL));
        run.memory = xmalloc(bytes[3]);
        for (i = 0; i < 3; i++) {
            run.memory_bytes = bytes[3 - i];
            memset(again, 0, sizeof again);
            CHECK_STATUS(LOCUS_OK, locus_encode(f.net[0], &e, again, LOCUS_ENCODE_AUTO, &run, &g_err));
            CHECK_SAME("z in less memory", z, again, 16);
        }
        run.memory_bytes = bytes[0] - 128;
        CHECK_STATUS(LOCUS_ERR_MEMORY, locus_encode(f.net[0], &e, z, LOCUS_ENCODE_AUTO, &run, &g_err));
        CHECK(g_err.bytes > bytes[0] - 64 && g_err.bytes < bytes[0] + 64); // as the memory stands
        free(run.memory);
        e.queries.count = SIZE_MAX / 8;
        CHECK_STATUS(LOCUS_ERR_OVERFLOW, locus_encode(f.net[0], &e, z, LOCUS_ENCODE_FAST, NULL, &g_err));
        sets_free(&s);
    }
    fixture_close(&f);
}

static void sab_has_no_streaming_path(void)
{
    fixture f;
    sets s;
    if (fixture_make(&f, 4, 6, 2, 1, 3, 4, 1, 36)) {
        float z[6];
        locus_evals e;
        sets_make(&s, 5, 1, 4, BINARY, 0.0, 1.0, 37);
        e = sets_evals(&s);
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, embed(f.net[0], &e, z, LOCUS_ENCODE_STREAMING, NULL));
        CHECK_STATUS(LOCUS_OK, embed(f.net[0], &e, z, LOCUS_ENCODE_AUTO, NULL));
        sets_free(&s);
    }
    fixture_close(&f);
}

static void names_of_statuses_and_isas(void)
{
    static const char *const isas[] = {"auto", "scalar", "avx2", "avx512", "neon"};
    int i, j;
    for (i = 0; i < LOCUS_STATUS_COUNT; i++) {
        const char *name = locus_status_name((locus_status)i);
        CHECK(strncmp(name, i ? "LOCUS_ERR_" : "LOCUS_OK", i ? 10 : 9) == 0);
        for (j = 0; j < i; j++) CHECK(strcmp(name, locus_status_name((locus_status)j)) != 0);
    }
    CHECK(locus_status_name(LOCUS_STATUS_COUNT) != NULL);
    for (i = 0; i < LOCUS_ISA_COUNT; i++) CHECK_TEXT(isas[i], locus_isa_name((locus_isa)i));
    CHECK(locus_isa_name(LOCUS_ISA_COUNT) == NULL);
    CHECK(locus_isa_supported(LOCUS_ISA_SCALAR));
    CHECK(!locus_isa_supported(LOCUS_ISA_COUNT));
    CHECK_TEXT(LOCUS_VERSION, locus_version());
}

// ---------------------------------------------------------------------------------------------------- loading nets

static void small_ref(ref_net *ref, int sab, int last)
{
    memset(ref, 0, sizeof *ref);
    ref_init(ref, 5, 6, 2, 2, 3, 4, sab, last, 900 + g_seed);
}

static void net_expect(const raw_file *f, locus_status a, locus_status b, const char *part)
{
    locus_net *net = (locus_net *)&g_blocks; // must become NULL
    long blocks = g_blocks;
    CHECK_ONE_OF(a, b, raw_create(f, NULL, &net));
    CHECK(net == NULL);
    if (part) CHECK_MESSAGE(part);
    locus_net_destroy(net);
    if (g_blocks != blocks) failure(__LINE__, "expected no memory left behind, found %ld blocks", g_blocks - blocks);
}

static void missing_and_surplus_tensors_are_named(void)
{
    int sab, last;
    size_t i;
    for (sab = 0; sab < 2; sab++)
        for (last = 2; last <= 3; last++) {
            ref_net ref;
            raw_file *f;
            static const size_t one[] = {1}, four[] = {4}, row[] = {1, 4};
            static const char *const surplus[] = {"foo",
                                                  "encoder.layers.2.mab1.W_q.weight",
                                                  "encoder.layers.0.mab3.W_q.weight",
                                                  "decoder.mlp_head.1.weight",
                                                  "decoder.mlp_head.4.bias",
                                                  "encoder.pma.mab.W_q.bias",
                                                  "encoder.out.1.bias",
                                                  "encoder.input.0.weight2",
                                                  "U.weight",
                                                  ""};
            small_ref(&ref, sab, last);
            for (i = 0; i < ref.count; i++) {
                f = raw_from_net(&ref);
                context("%s without %s", sab ? "sab" : "isab", f->t[i].name);
                {
                    char name[96];
                    snprintf(name, sizeof name, "%s", f->t[i].name);
                    raw_drop(f, i);
                    net_expect(f, LOCUS_ERR_TENSOR, LOCUS_ERR_TENSOR,
                               strstr(name, "mlp_head.2") || strstr(name, "mlp_head.3") ? "mlp_head" : name);
                }
                raw_free(f);
            }
            for (i = 0; i < COUNT(surplus); i++) {
                f = raw_from_net(&ref);
                raw_add(f, surplus[i], "F32", 1, one, 4);
                context("%s with \"%s\"", sab ? "sab" : "isab", surplus[i]);
                // one layer more than the metadata says may be the metadata's fault
                net_expect(f, LOCUS_ERR_TENSOR, i == 1 ? LOCUS_ERR_METADATA : LOCUS_ERR_TENSOR,
                           i == 1 ? NULL : surplus[i]);
                raw_free(f);
            }
            f = raw_from_net(&ref);
            raw_add(f, last == 2 ? "decoder.mlp_head.3.weight" : "decoder.mlp_head.2.weight", "F32", 2, row, 16);
            raw_add(f, last == 2 ? "decoder.mlp_head.3.bias" : "decoder.mlp_head.2.bias", "F32", 1, one, 4);
            context("both mlp_head.2 and .3");
            net_expect(f, LOCUS_ERR_TENSOR, LOCUS_ERR_TENSOR, "mlp_head");
            raw_free(f);
            (void)four;
            f = raw_from_net(&ref); // the other kind's block
            raw_meta(f, "encoder_kind", sab ? "isab" : "sab");
            context("%s said to be the other kind", sab ? "sab" : "isab");
            {
                locus_net *net;
                locus_status s = raw_create(f, NULL, &net);
                CHECK(s == LOCUS_ERR_TENSOR || s == LOCUS_ERR_TENSOR || s == LOCUS_ERR_METADATA);
                locus_net_destroy(net);
            }
            raw_free(f);
            ref_free(&ref);
        }
}

static void wrong_shapes_are_named(void)
{
    int sab;
    size_t i, j;
    for (sab = 0; sab < 2; sab++) {
        ref_net ref;
        small_ref(&ref, sab, 3);
        for (i = 0; i < ref.count; i++)
            for (j = 0; j < 4; j++) {
                raw_file *f = raw_from_net(&ref);
                raw_tensor *t = &f->t[i];
                size_t elements = t->bytes / 4, k;
                if (j == 0) { // one row more
                    elements = elements / t->shape[0] * (t->shape[0] + 1);
                    t->shape[0]++;
                } else if (j == 1) { // one column more
                    elements = elements / t->shape[t->rank - 1] * (t->shape[t->rank - 1] + 1);
                    t->shape[t->rank - 1]++;
                } else if (j == 2) { // a dimension more
                    t->shape[t->rank++] = 1;
                } else { // no element
                    elements = 0;
                    t->shape[0] = 0;
                }
                free(t->data);
                t->bytes = elements * 4;
                t->data = (unsigned char *)xmalloc(t->bytes);
                for (k = 0; k < elements; k++) put_f32(t->data + 4 * k, 0.25f);
                context("%s, %s, spoilt in way %zu", sab ? "sab" : "isab", t->name, j);
                net_expect(f, LOCUS_ERR_TENSOR, LOCUS_ERR_METADATA, NULL);
                CHECK(g_err.where[0] != 0);
                raw_free(f);
            }
        ref_free(&ref);
    }
}

static void metadata_is_checked(void)
{
    static const char *const bad[] = {
        "abc",        "0",   "",    "-2", "2.0", "2x", "0x2", "99999999999999999999999999", "18446744073709551618",
        "4294967298", "NaN", "2e0", "+2"};
    static const char *const keys[] = {"q_dim", "z_dim", "n_layers", "m_induce", "decoder_hidden", "encoder_kind"};
    ref_net ref;
    raw_file *f;
    size_t i, j;
    small_ref(&ref, 0, 3);
    f = raw_from_net(&ref);
    raw_meta(f, "n_heads", NULL);
    net_expect(f, LOCUS_ERR_METADATA, LOCUS_ERR_METADATA, "n_heads");
    for (i = 0; i < COUNT(bad); i++) {
        context("n_heads \"%s\"", bad[i]);
        raw_meta(f, "n_heads", bad[i]);
        net_expect(f, LOCUS_ERR_METADATA, strlen(bad[i]) > 8 ? LOCUS_ERR_METADATA : LOCUS_ERR_METADATA, NULL);
    }
    for (i = 4; i <= 9; i++) {
        if (i == 6) continue;
        raw_number(f, "n_heads", i);
        context("n_heads %zu of z_dim 6", i);
        net_expect(f, LOCUS_ERR_METADATA, LOCUS_ERR_METADATA, NULL);
    }
    raw_number(f, "n_heads", 3); // divides: another net, but a net
    {
        locus_net *net;
        context("n_heads 3");
        CHECK_STATUS(LOCUS_OK, raw_create(f, NULL, &net));
        CHECK_SIZE(3, locus_net_get_info(net).n_heads);
        locus_net_destroy(net);
    }
    raw_free(f);
    for (i = 0; i < COUNT(keys); i++) {
        char keep[96];
        locus_net *net;
        locus_status s;
        f = raw_from_net(&ref);
        for (j = 0; strcmp(f->key[j], keys[i]) != 0; j++) continue;
        snprintf(keep, sizeof keep, "%s", f->value[j]);
        for (j = 0; j < COUNT(bad); j++) {
            context("%s \"%s\"", keys[i], bad[j]);
            raw_meta(f, keys[i], bad[j]);
            net_expect(f, LOCUS_ERR_METADATA,
                       strlen(bad[j]) < 8 ? LOCUS_ERR_METADATA
                       : i == 2           ? LOCUS_ERR_TENSOR
                                          : LOCUS_ERR_TENSOR,
                       NULL);
        }
        if (i < 5) { // a number, but not the one that the shapes say
            for (j = 0; j < 2; j++) {
                size_t value = (size_t)strtoul(keep, NULL, 10) + (j ? 1u : (size_t)-1);
                context("%s %zu", keys[i], value);
                raw_number(f, keys[i], value);
                s = raw_create(f, NULL, &net);
                if (s == LOCUS_OK || (s != LOCUS_ERR_METADATA && s != LOCUS_ERR_TENSOR && s != LOCUS_ERR_TENSOR &&
                                      s != LOCUS_ERR_TENSOR && s != LOCUS_ERR_METADATA))
                    failure(__LINE__, "expected metadata to disagree with the shapes, found %s", locus_status_name(s));
                locus_net_destroy(net);
            }
        }
        raw_meta(f, keys[i], NULL); // missing: found from the shapes, or an error that says so
        context("%s missing", keys[i]);
        s = raw_create(f, NULL, &net);
        if (s == LOCUS_OK) {
            locus_net_info info = locus_net_get_info(net);
            CHECK(info.q_dim == 5 && info.z_dim == 6 && info.n_layers == 2 && info.m_induce == 3 &&
                  info.decoder_hidden == 4);
            CHECK(info.encoder_kind == LOCUS_ISAB && info.has_encoder);
        } else {
            CHECK_GOT(LOCUS_ERR_METADATA, s);
            CHECK_MESSAGE(keys[i]);
        }
        locus_net_destroy(net);
        raw_free(f);
    }
    ref_free(&ref);
}

static void weights_that_are_not_finite_are_rejected(void)
{
    ref_net ref;
    size_t i, j;
    small_ref(&ref, 0, 3);
    for (i = 0; i < ref.count; i++)
        for (j = 0; j < 4; j++) {
            raw_file *f = raw_from_net(&ref);
            raw_tensor *t = &f->t[i];
            put_f32(t->data + t->bytes - 4, j == 0 ? f_nan() : j == 1 ? f_inf() : j == 2 ? -f_inf() : 1e30f);
            context("%s, case %zu", t->name, j);
            net_expect(f, LOCUS_ERR_NONFINITE_WEIGHT, LOCUS_ERR_NONFINITE_WEIGHT, t->name);
            raw_free(f);
        }
    ref_free(&ref);
}

static unsigned half_from(double x) // nearest, ties up; |x| < 65504
{
    unsigned sign = x < 0.0 ? 0x8000u : 0u, m;
    int e;
    x = fabs(x);
    if (x < ldexp(1.0, -14)) return sign | (unsigned)(ldexp(x, 24) + 0.5);
    x = frexp(x, &e); // [0.5, 1)
    m = (unsigned)(ldexp(x, 11) + 0.5);
    return sign | (((unsigned)(e + 13) << 10) + m);
}

static double half_value(unsigned h)
{
    unsigned e = (h >> 10) & 31u, m = h & 1023u;
    double x = e ? ldexp(1024.0 + (double)m, (int)e - 25) : ldexp((double)m, -24);
    return h & 0x8000u ? -x : x;
}

static void half_precision_weights_mean_their_rounded_values(void)
{
    int bf16, sab;
    CHECK_NEAR(1.0, half_value(half_from(1.0)), 0.0);
    CHECK_NEAR(-0.333251953125, half_value(half_from(-1.0 / 3.0)), 0.0);
    CHECK_NEAR(5.9604644775390625e-08, half_value(1), 0.0);
    for (bf16 = 0; bf16 < 2; bf16++)
        for (sab = 0; sab < 2; sab++) {
            fixture f;
            raw_file *raw;
            sets s;
            size_t i, j;
            int isa;
            ZERO(f);
            ref_init(&f.ref, 7, 12, 3, 2, 5, 6, sab, 3, 60 + g_seed);
            f.ref.t[0].v[0] = 3e-6; // a subnormal half
            raw = raw_from_net(&f.ref);
            for (i = 0; i < raw->count; i++) {
                raw_tensor *t = &raw->t[i];
                snprintf(t->dtype, sizeof t->dtype, "%s", bf16 ? "BF16" : "F16");
                t->bytes /= 2;
                for (j = 0; j < f.ref.t[i].count; j++) {
                    float x = (float)f.ref.t[i].v[j];
                    uint32_t u;
                    unsigned h;
                    memcpy(&u, &x, 4);
                    h = bf16 ? (unsigned)(u >> 16) : half_from((double)x);
                    u = (uint32_t)(u >> 16) << 16;
                    memcpy(&x, &u, 4);
                    f.ref.t[i].v[j] = bf16 ? (double)x : half_value(h);
                    t->data[2 * j] = (unsigned char)(h & 255u);
                    t->data[2 * j + 1] = (unsigned char)((h >> 8) & 255u);
                }
            }
            for (isa = 0; isa < LOCUS_ISA_COUNT; isa++) {
                locus_run opts;
                ZERO(opts);
                opts.isa = (locus_isa)isa;
                if (!isa || locus_isa_supported(opts.isa)) CHECK_STATUS(LOCUS_OK, raw_create(raw, &opts, &f.net[isa]));
            }
            sets_make(&s, 40, 2, 7, MIXED, 0.1, 1.0, 61);
            context("%s", bf16 ? "BF16" : "F16");
            if (f.net[0]) against_reference(&f, &s, 1);
            { // the same net in F32 gives the same bits and the same hash
                float a[24], b[24];
                raw_file *wide = raw_from_net(&f.ref);
                locus_net *net;
                locus_evals e = sets_evals(&s);
                if (CHECK_STATUS(LOCUS_OK, raw_create(wide, NULL, &net)) && f.net[0]) {
                    CHECK_STATUS(LOCUS_OK, embed(net, &e, a, LOCUS_ENCODE_AUTO, NULL));
                    CHECK_STATUS(LOCUS_OK, embed(f.net[0], &e, b, LOCUS_ENCODE_AUTO, NULL));
                    CHECK_SAME("z from F32 and from half precision", a, b, 24);
                }
                locus_net_destroy(net);
                raw_free(wide);
            }
            sets_free(&s);
            raw_free(raw);
            for (isa = 0; isa < LOCUS_ISA_COUNT; isa++) locus_net_destroy(f.net[isa]);
            ref_free(&f.ref);
        }
}

static void weights_of_other_types_are_refused(void)
{
    static const char *const types[] = {"I32", "U32", "I64", "U8", "BOOL"};
    static const size_t sizes[] = {4, 4, 8, 1, 1};
    ref_net ref;
    size_t i;
    small_ref(&ref, 0, 3);
    for (i = 0; i < COUNT(types); i++) {
        raw_file *f = raw_from_net(&ref);
        raw_tensor *t = raw_find(f, "encoder.out.0.weight");
        unsigned char *data = (unsigned char *)xmalloc(36 * sizes[i]);
        memset(data, 0, 36 * sizes[i]);
        free(t->data);
        t->data = data;
        t->bytes = 36 * sizes[i];
        snprintf(t->dtype, sizeof t->dtype, "%s", types[i]);
        context("%s", types[i]);
        net_expect(f, LOCUS_ERR_UNSUPPORTED, LOCUS_ERR_UNSUPPORTED, "encoder.out.0.weight");
        raw_free(f);
    }
    ref_free(&ref);
}

static void nets_live_in_the_callers_memory(void)
{
    fixture f;
    sets s;
    int sab;
    for (sab = 0; sab < 2; sab++) {
        if (fixture_make(&f, 5, 6, 2, 2, 3, 4, sab, 71)) {
            locus_run run;
            size_t round;
            float a[12], b[12];
            locus_evals e;
            sets_make(&s, 9, 2, 5, MIXED, 0.0, 1.0, 72);
            e = sets_evals(&s);
            CHECK_STATUS(LOCUS_OK, embed(f.net[0], &e, a, LOCUS_ENCODE_AUTO, NULL));
            ZERO(run);
            for (round = 0; round < 20; round++) {
                locus_net *net;
                context("sab %d round %zu", sab, round);
                CHECK_ROOM(&run, LOCUS_OK, locus_net_create(&net, &f.st, &run, &g_err));
                if (net) {
                    CHECK(locus_net_get_info(net).bytes <= run.memory_bytes);
                    CHECK(locus_net_get_info(net).hash == locus_net_get_info(f.net[0]).hash);
                    CHECK_STATUS(LOCUS_OK, embed(net, &e, b, LOCUS_ENCODE_AUTO, NULL));
                    CHECK_SAME("z", a, b, 12);
                }
                locus_net_destroy(net);
                room_close(__LINE__, &run);
            }
            sets_free(&s);
        }
        fixture_close(&f);
    }
}

static void net_arguments_are_checked(void)
{
    fixture f;
    if (fixture_make(&f, 5, 6, 2, 1, 3, 4, 0, 73)) {
        locus_net *net;
        locus_run opts;
        locus_net_info info = locus_net_get_info(f.net[0]);
        int isa;
        ZERO(opts);
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_net_create(NULL, &f.st, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_net_create(&net, NULL, NULL, &g_err));
        CHECK(locus_net_create(&net, NULL, NULL, NULL) == LOCUS_ERR_ARGUMENT);
        CHECK(!locus_net_get_info(NULL).q_dim);
        for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
            opts.isa = (locus_isa)isa;
            CHECK_STATUS(locus_isa_supported(opts.isa) ? LOCUS_OK : LOCUS_ERR_ISA,
                         locus_net_create(&net, &f.st, &opts, &g_err));
            CHECK((net != NULL) == (locus_isa_supported(opts.isa) != 0));
            if (net) CHECK_SIZE((size_t)isa, (size_t)locus_net_get_info(net).isa);
            locus_net_destroy(net);
        }
        opts.isa = LOCUS_ISA_COUNT;
        CHECK_ONE_OF(LOCUS_ERR_ISA, LOCUS_ERR_ARGUMENT, locus_net_create(&net, &f.st, &opts, &g_err));
        CHECK(info.isa != LOCUS_ISA_AUTO && locus_isa_supported(info.isa));
        CHECK(info.q_dim == 5 && info.z_dim == 6 && info.n_heads == 2 && info.n_layers == 1 && info.m_induce == 3 &&
              info.decoder_hidden == 4 && info.encoder_kind == LOCUS_ISAB && info.has_encoder == 1);
        CHECK_TEXT("", info.query_encoder);
        CHECK(info.hash != 0 && info.encoder_hash != 0 && info.hash != info.encoder_hash);
        {
            size_t i, weights = 0;
            for (i = 0; i < f.ref.count; i++) weights += f.ref.t[i].count;
            CHECK_SIZE(weights, info.parameters);
        }
        locus_net_destroy(NULL);
        CHECK_STATUS(LOCUS_ERR_IO, locus_net_open(&net, "/nonexistent/net.safetensors", NULL, &g_err));
        CHECK(net == NULL);
        CHECK_MESSAGE("/nonexistent/net.safetensors");
    }
    fixture_close(&f);
}

static void hash_depends_on_every_weight_and_on_nothing_else(void)
{
    ref_net ref;
    raw_file *f;
    locus_net *net;
    uint64_t hash, encoder_hash;
    size_t i;
    small_ref(&ref, 0, 3);
    f = raw_from_net(&ref);
    CHECK_STATUS(LOCUS_OK, raw_create(f, NULL, &net));
    hash = locus_net_get_info(net).hash;
    encoder_hash = locus_net_get_info(net).encoder_hash;
    locus_net_destroy(net);
    raw_meta(f, "query_encoder", "all-mpnet-base-v2");
    for (i = 0; i < f->count / 2; i++) { // tensors in another order
        raw_tensor t = f->t[i];
        f->t[i] = f->t[f->count - 1 - i];
        f->t[f->count - 1 - i] = t;
    }
    CHECK_STATUS(LOCUS_OK, raw_create(f, NULL, &net));
    CHECK(locus_net_get_info(net).hash == hash);
    CHECK_TEXT("all-mpnet-base-v2", locus_net_get_info(net).query_encoder);
    locus_net_destroy(net);
    for (i = 0; i < f->count; i++) {
        f->t[i].data[f->t[i].bytes - 4] ^= 1u; // the last bit of the last weight
        context("%s", f->t[i].name);
        CHECK_STATUS(LOCUS_OK, raw_create(f, NULL, &net));
        CHECK(locus_net_get_info(net).hash != hash);
        CHECK((locus_net_get_info(net).encoder_hash != encoder_hash) == (strncmp(f->t[i].name, "encoder.", 8) == 0));
        locus_net_destroy(net);
        f->t[i].data[f->t[i].bytes - 4] ^= 1u;
    }
    raw_free(f);
    ref_free(&ref);
}

static void saved_weights_load_as_the_same_net(void)
{
    fixture f;
    if (fixture_make(&f, 5, 6, 2, 1, 3, 4, 0, 74)) {
        const char *path = temp_path("net");
        locus_net *net;
        CHECK_STATUS(LOCUS_OK, locus_safetensors_save(path, f.st.tensors, f.st.tensor_count, f.st.metadata,
                                                      f.st.metadata_count, &g_err));
        if (CHECK_STATUS(LOCUS_OK, locus_net_open(&net, path, NULL, &g_err)))
            CHECK(locus_net_get_info(net).hash == locus_net_get_info(f.net[0]).hash);
        locus_net_destroy(net);
        remove(path);
    }
    fixture_close(&f);
}

// ---------------------------------------------------------------------------------------------------- out of memory

typedef struct oom_case {
    const char *name;
    locus_status (*run)(void *arg); // does it all and cleans up, whether it works or not
} oom_case;

typedef struct oom_arg {
    fixture *f;
    const char *net_path, *pool_path, *npy_path;
    const float *z;
} oom_arg;

static locus_status oom_parse(void *arg)
{
    oom_arg *a = (oom_arg *)arg;
    locus_safetensors st;
    locus_status s = locus_safetensors_parse(&st, a->f->data, a->f->bytes, NULL, &g_err);
    if (!s) locus_safetensors_close(&st);
    return s;
}

static locus_status oom_net_create(void *arg)
{
    oom_arg *a = (oom_arg *)arg;
    locus_net *net;
    locus_status s = locus_net_create(&net, &a->f->st, NULL, &g_err);
    CHECK((net != NULL) == (s == LOCUS_OK));
    locus_net_destroy(net);
    return s;
}

static locus_status oom_net_open(void *arg)
{
    locus_net *net;
    locus_status s = locus_net_open(&net, ((oom_arg *)arg)->net_path, NULL, &g_err);
    CHECK((net != NULL) == (s == LOCUS_OK));
    locus_net_destroy(net);
    return s;
}

static locus_status oom_npy_open(void *arg)
{
    locus_array array;
    locus_status s = locus_npy_open(&array, ((oom_arg *)arg)->npy_path, &g_err);
    if (!s) locus_array_close(&array);
    return s;
}

static locus_status oom_npy_save(void *arg)
{
    size_t shape[2] = {3, 2};
    return locus_npy_save(((oom_arg *)arg)->npy_path, LOCUS_F32, shape, 2, ((oom_arg *)arg)->z, &g_err);
}

static locus_status oom_net_save(void *arg)
{
    oom_arg *a = (oom_arg *)arg;
    return locus_safetensors_save(a->net_path, a->f->st.tensors, a->f->st.tensor_count, a->f->st.metadata,
                                  a->f->st.metadata_count, &g_err);
}

static locus_status oom_pool_grow(void *arg)
{
    oom_arg *a = (oom_arg *)arg;
    locus_pool *pool;
    locus_status s = locus_pool_create(&pool, a->f->net[0], 1, "q", NULL, &g_err);
    size_t i, count = 0;
    for (i = 0; !s && i < 40; i++) {
        char name[16];
        locus_model m;
        snprintf(name, sizeof name, "m%zu", i);
        m = model_named(name, 1.0);
        s = locus_pool_add(pool, &m, a->z, NULL, &g_err);
        if (!s) count++;
    }
    if (pool) { // what was added before is whole
        CHECK_SIZE(count, locus_pool_count(pool));
        for (i = 0; i < count; i++) CHECK(memcmp(locus_pool_embedding(pool, i), a->z, 6 * sizeof(float)) == 0);
    }
    locus_pool_destroy(pool);
    return s;
}

static locus_status oom_pool_open(void *arg)
{
    oom_arg *a = (oom_arg *)arg;
    locus_pool *pool;
    locus_status s = locus_pool_open(&pool, a->f->net[0], a->pool_path, NULL, &g_err);
    CHECK((pool != NULL) == (s == LOCUS_OK));
    locus_pool_destroy(pool);
    return s;
}

static locus_status oom_pool_save(void *arg)
{
    oom_arg *a = (oom_arg *)arg;
    locus_pool *pool;
    size_t fail = g_fail_at;
    locus_status s;
    g_fail_at = 0; // only the saving is to fail
    s = locus_pool_open(&pool, a->f->net[0], a->pool_path, NULL, &g_err);
    if (s) return s;
    g_fail_at = fail;
    s = locus_pool_save(pool, a->pool_path, LOCUS_SAVE_EVERYTHING, &a->f->st, &g_err);
    g_fail_at = 0;
    locus_pool_destroy(pool);
    return s;
}

#ifndef LOCUS_NO_THREADS
static locus_status oom_threads(void *arg)
{
    const locus_parallel *t;
    locus_status s = locus_threads_create(&t, 3, &g_err);
    (void)arg;
    CHECK((t != NULL) == (s == LOCUS_OK));
    locus_threads_destroy(t);
    return s;
}
#endif

static void every_allocation_may_fail(void)
{
    static const oom_case cases[] = {
        {"locus_safetensors_parse", oom_parse},   {"locus_net_create", oom_net_create},
        {"locus_safetensors_save", oom_net_save}, {"locus_net_open", oom_net_open},
        {"locus_npy_save", oom_npy_save},         {"locus_npy_open", oom_npy_open},
        {"locus_pool_add", oom_pool_grow},        {"locus_pool_save", oom_pool_save},
        {"locus_pool_open", oom_pool_open},
#ifndef LOCUS_NO_THREADS
        {"locus_threads_create", oom_threads},
#endif
    };
    fixture f;
    if (fixture_make(&f, 5, 6, 2, 1, 3, 4, 0, 75)) {
        float z[6] = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f};
        char path[3][512];
        oom_arg arg;
        size_t i, at;
        locus_pool *pool = pool_of(f.net[0], z, 1);
        snprintf(path[0], sizeof path[0], "%s", temp_path("oom-net"));
        snprintf(path[1], sizeof path[1], "%s", temp_path("oom-pool"));
        snprintf(path[2], sizeof path[2], "%s", temp_path("oom-npy"));
        arg.f = &f;
        arg.net_path = path[0], arg.pool_path = path[1], arg.npy_path = path[2];
        arg.z = z;
        CHECK_STATUS(LOCUS_OK, locus_pool_save(pool, path[1], LOCUS_SAVE_POOL, NULL, &g_err));
        for (i = 0; i < COUNT(cases); i++)
            for (g_fail_persistent = 0; g_fail_persistent < 2; g_fail_persistent++)
                for (at = 1; at < 2000; at++) {
                    long blocks = g_blocks;
                    locus_status s;
                    context("%s, allocation %zu fails%s", cases[i].name, at,
                            g_fail_persistent ? " and all later ones" : "");
                    g_failed_mallocs = 0;
                    g_fail_at = at;
                    g_err.message[0] = 0;
                    s = cases[i].run(&arg);
                    g_fail_at = 0;
                    if (g_blocks != blocks)
                        failure(__LINE__, "expected no memory left behind, found %ld blocks", g_blocks - blocks);
                    if (!g_failed_mallocs) {
                        CHECK_GOT(LOCUS_OK, s);
                        break;
                    }
                    if (s != LOCUS_OK) check_status(__LINE__, cases[i].name, LOCUS_ERR_MEMORY, s);
                    if (g_failures > 8) break;
                }
        context("%s", "");
        CHECK_STATUS(LOCUS_OK, oom_pool_open(&arg)); // a failed save left the old file
        locus_pool_destroy(pool);
        for (i = 0; i < 3; i++) remove(path[i]);
    }
    fixture_close(&f);
}

// ---------------------------------------------------------------------------------------------------- the pool

static void pool_of_fixed_memory_does_not_grow(void)
{
    fixture f;
    if (fixture_make(&f, 5, 6, 2, 1, 3, 4, 0, 81)) {
        size_t i, round, before;
        float *z = normals(18, 1.0, 82);
        locus_pool *pool;
        locus_run run;
        ZERO(run);
        for (round = 0; round < 20; round++) {
            locus_model m;
            context("round %zu", round);
            CHECK_ROOM(&run, LOCUS_OK, locus_pool_create(&pool, f.net[0], 2, "enc", &run, &g_err));
            if (!pool) continue;
            before = g_mallocs;
            for (i = 0; i < 3; i++) {
                char name[8];
                snprintf(name, sizeof name, "x%zu", i);
                m = model_named(name, 0.0);
                CHECK_STATUS(i < 2 ? LOCUS_OK : LOCUS_ERR_MEMORY, locus_pool_add(pool, &m, z + 6 * i, NULL, &g_err));
            }
            CHECK_SIZE(2, locus_pool_count(pool));
            CHECK_SAME("embeddings", z, locus_pool_embedding(pool, 0), 6);
            CHECK_SAME("embeddings", z + 6, locus_pool_embedding(pool, 1), 6);
            CHECK_TEXT("enc", locus_pool_get_info(pool).query_encoder);
            CHECK_STATUS(LOCUS_OK, locus_pool_remove(pool, 0, &g_err));
            m = model_named("again", 0.0);
            CHECK_STATUS(LOCUS_OK, locus_pool_add(pool, &m, z + 12, NULL, &g_err));
            CHECK_SIZE(before, g_mallocs);
            locus_pool_destroy(pool);
            room_close(__LINE__, &run);
        }
        CHECK_ONE_OF(LOCUS_ERR_MEMORY, LOCUS_ERR_OVERFLOW,
                     locus_pool_create(&pool, f.net[0], SIZE_MAX / 4, NULL, NULL, &g_err));
        free(z);
    }
    fixture_close(&f);
}

static void pool_rejects_bad_models(void)
{
    static const char *const bad_names[] = {"",
                                            "a\nb",
                                            "tab\t",
                                            "\x01",
                                            "del\x7f",
                                            "\xff",
                                            "\xc0\xaf",
                                            "\xed\xa0\x80",
                                            "\xf4\x90\x80\x80",
                                            "cut\xe2\x82",
                                            "\x80"};
    static const char *const good_names[] = {"a",
                                             "openai/gpt-4 (2023)",
                                             "m\xc3\xbcller",
                                             "\xe6\xa8\xa1\xe5\x9e\x8b",
                                             "\xf0\x9f\xa4\x96",
                                             "quote\"back\\slash",
                                             "'",
                                             "{}"};
    fixture f;
    if (fixture_make(&f, 5, 6, 2, 1, 3, 4, 0, 83)) {
        float *z = normals(6, 1.0, 84);
        locus_pool *pool = NULL;
        locus_model m;
        size_t i, index = 5;
        CHECK_STATUS(LOCUS_OK, locus_pool_create(&pool, f.net[0], 0, NULL, NULL, &g_err));
        for (i = 0; i < COUNT(bad_names); i++) {
            context("bad name %zu", i);
            m = model_named(bad_names[i], 1.0);
            CHECK_STATUS(LOCUS_ERR_NAME, locus_pool_add(pool, &m, z, NULL, &g_err));
        }
        for (i = 0; i < COUNT(good_names); i++) {
            context("good name %zu", i);
            m = model_named(good_names[i], 1.0);
            CHECK_STATUS(LOCUS_OK, locus_pool_add(pool, &m, z, &index, &g_err));
            CHECK_SIZE(i, index);
            CHECK_SIZE(i, locus_pool_find(pool, good_names[i]));
            CHECK_STATUS(LOCUS_ERR_NAME, locus_pool_add(pool, &m, z, NULL, &g_err)); // taken
        }
        context("%s", "");
        m = model_named("", 1.0);
        memset(m.name, 'a', sizeof m.name); // not terminated
        CHECK_STATUS(LOCUS_ERR_NAME, locus_pool_add(pool, &m, z, NULL, &g_err));
        m.name[sizeof m.name - 1] = 0; // the longest that fits
        CHECK_STATUS(LOCUS_OK, locus_pool_add(pool, &m, z, &index, &g_err));
        CHECK_SIZE(index, locus_pool_find(pool, m.name));
        for (i = 0; i < 5; i++) {
            context("bad cost %zu", i);
            m = model_named("costly", i == 0   ? -1e-300
                                      : i == 1 ? HUGE_VAL
                                      : i == 2 ? -1.0
                                      : i == 3 ? -HUGE_VAL
                                               : -1e-30);
            CHECK_STATUS(LOCUS_ERR_POOL, locus_pool_add(pool, &m, z, NULL, &g_err));
        }
        m = model_named("new", 0.0);
        m.parameters_b = f_nan();
        for (i = 0; i < 3; i++) {
            float bad[6] = {0.0f};
            bad[5] = i == 0 ? f_nan() : i == 1 ? f_inf() : -f_inf();
            context("bad embedding %zu", i);
            CHECK_STATUS(LOCUS_ERR_POOL, locus_pool_add(pool, &m, bad, NULL, &g_err));
            CHECK_STATUS(LOCUS_ERR_POOL, locus_pool_set(pool, 0, NULL, bad, &g_err));
        }
        context("%s", "");
        i = locus_pool_count(pool);
        CHECK_SIZE(COUNT(good_names) + 1, i);
        CHECK_STATUS(LOCUS_OK, locus_pool_add(pool, &m, z, NULL, &g_err));
        m = model_named("a", 1.0);
        CHECK_STATUS(LOCUS_ERR_NAME, locus_pool_set(pool, 1, &m, NULL, &g_err)); // another's name
        CHECK_STATUS(LOCUS_OK, locus_pool_set(pool, 0, &m, NULL, &g_err));       // its own
        m.cost = -1.0;
        CHECK_STATUS(LOCUS_ERR_POOL, locus_pool_set(pool, 0, &m, NULL, &g_err));
        CHECK_NEAR(1.0, locus_pool_model(pool, 0)->cost, 0.0);
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_set(pool, 1000, NULL, z, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_remove(pool, locus_pool_count(pool), &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_add(pool, NULL, z, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_add(pool, &m, NULL, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_add(NULL, &m, z, NULL, &g_err));
        CHECK(locus_pool_model(pool, 1000) == NULL && locus_pool_embedding(pool, SIZE_MAX) == NULL);
        CHECK_SIZE(SIZE_MAX, locus_pool_find(pool, "nobody"));
        CHECK_SIZE(SIZE_MAX, locus_pool_find(pool, ""));
        locus_pool_destroy(pool);
        locus_pool_destroy(NULL);
        free(z);
    }
    fixture_close(&f);
}

// What the pool itself holds may be handed back to it: data and embedding of a model, while the pool moves or not.
static void pools_take_what_they_hold(void)
{
    size_t kind, i, k, c;
    fixture f;
    if (fixture_make(&f, 5, 6, 2, 1, 3, 4, 0, 85)) {
        float *z = normals(6 * 6, 1.0, 86), *q = normals(3 * 5, 1.0, 87), got[3 * 40], want[3 * 40];
        const locus_queries queries = queries_of(q, 3, 5);
        for (kind = 0; kind < 2; kind++) { // on the heap, where it grows; in our memory
            locus_pool *pool = NULL, *plain;
            float rows[40 * 6];
            locus_run run;
            ZERO(run);
            if (kind) CHECK_ROOM(&run, LOCUS_OK, locus_pool_create(&pool, f.net[0], 40, NULL, &run, &g_err));
            else CHECK_STATUS(LOCUS_OK, locus_pool_create(&pool, f.net[0], 1, NULL, NULL, &g_err));
            for (i = 0; i < 40; i++) {
                locus_model m = model_named("", (float)i);
                const float *from = i < 6 ? z + 6 * i : locus_pool_embedding(pool, i * 7 % i);
                context("kind %zu, model %zu", kind, i);
                snprintf(m.name, sizeof m.name, "m%zu", i);
                memcpy(rows + 6 * i, from, 6 * sizeof *from);
                CHECK_STATUS(LOCUS_OK, locus_pool_add(pool, &m, from, NULL, &g_err));
                CHECK_SAME("added", rows + 6 * i, locus_pool_embedding(pool, i), 6);
            }
            for (i = 0; i < 40; i++) {
                const locus_model before = *locus_pool_model(pool, i);
                context("kind %zu, set %zu", kind, i);
                CHECK_STATUS(LOCUS_OK, locus_pool_set(pool, i, i % 2 ? locus_pool_model(pool, i) : NULL,
                                                      locus_pool_embedding(pool, i), &g_err));
                CHECK(!memcmp(&before, locus_pool_model(pool, i), sizeof before));
                CHECK_SIZE(i, locus_pool_find(pool, before.name));
                CHECK_SAME("its own", rows + 6 * i, locus_pool_embedding(pool, i), 6);
            }
            memcpy(rows + 6 * 3, rows + 6 * 5, 6 * sizeof *rows);
            CHECK_STATUS(LOCUS_OK, locus_pool_set(pool, 3, NULL, locus_pool_embedding(pool, 5), &g_err));
            plain = pool_of(f.net[0], rows, 40); // what is kept beside the embeddings follows
            CHECK_STATUS(LOCUS_OK, predict(pool, &queries, got, NULL));
            CHECK_STATUS(LOCUS_OK, predict(plain, &queries, want, NULL));
            CHECK_SAME("logits", want, got, 120);
            locus_pool_destroy(pool), locus_pool_destroy(plain);
            if (kind) room_close(__LINE__, &run);
        }
        context("%s", "");
        for (k = 1; k < 12; k++) { // every size at which it may have to move, data and embedding of any model
            locus_pool *pool = pool_of(f.net[0], z, 1);
            for (i = 1; i < k; i++) {
                locus_model m = model_named("", 0.0f);
                snprintf(m.name, sizeof m.name, "x%zu", i);
                CHECK_STATUS(LOCUS_OK, locus_pool_add(pool, &m, z + i % 6 * 6, NULL, &g_err));
            }
            for (c = 0; c < k; c++) // the name is taken: read to the end, then refused
                CHECK_STATUS(LOCUS_ERR_NAME, locus_pool_add(pool, locus_pool_model(pool, c),
                                                            locus_pool_embedding(pool, c), NULL, &g_err));
            CHECK_SIZE(k, locus_pool_count(pool));
            locus_pool_destroy(pool);
        }
        free(z), free(q);
    }
    fixture_close(&f);
}

// A plain list of models beside the pool; both must stay the same under random changes.
static void pool_changes_touch_no_other_model(void)
{
    fixture f;
    if (fixture_make(&f, 5, 6, 2, 1, 3, 4, 0, 85)) {
        enum { ROOM = 400 };
        locus_model *models = (locus_model *)xmalloc(ROOM * sizeof *models);
        float *zs = floats(ROOM * 6), *queries = normals(3 * 5, 1.0, 86), *next = normals(2000 * 6, 1.0, 87);
        locus_pool *pool = NULL, *fresh;
        size_t count = 0, step, i, steps = g_quick ? 150 : 600;
        ref_rng g;
        g.state = 88 + g_seed;
        CHECK_STATUS(LOCUS_OK, locus_pool_create(&pool, f.net[0], 1, NULL, NULL, &g_err));
        for (step = 0; step < steps && !g_failures; step++) {
            size_t action = ref_range(&g, 0, 9), at = count ? ref_range(&g, 0, count - 1) : 0;
            float *z = next + 6 * (step % 2000);
            char name[32];
            locus_model m;
            snprintf(name, sizeof name, "model %zu", step);
            m = model_named(name, (double)step);
            m.available = (int)(step % 2);
            m.evaluations = 1000000007u * (uint64_t)step;
            if (count < ROOM - 1 && (action < 6 || count < 2)) {
                CHECK_STATUS(LOCUS_OK, locus_pool_add(pool, &m, z, &i, &g_err));
                CHECK_SIZE(count, i);
                models[count] = m;
                memcpy(zs + 6 * count++, z, 6 * sizeof *z);
            } else if (action < 8) {
                CHECK_STATUS(LOCUS_OK, locus_pool_remove(pool, at, &g_err));
                count--;
                memmove(models + at, models + at + 1, (count - at) * sizeof *models);
                memmove(zs + 6 * at, zs + 6 * (at + 1), (count - at) * 6 * sizeof *zs);
            } else {
                CHECK_STATUS(LOCUS_OK, locus_pool_set(pool, at, step % 3 ? &m : NULL, step % 3 < 2 ? z : NULL, &g_err));
                if (step % 3) models[at] = m;
                if (step % 3 < 2) memcpy(zs + 6 * at, z, 6 * sizeof *z);
            }
            CHECK_SIZE(count, locus_pool_count(pool));
            for (i = 0; i < count; i++) {
                const locus_model *p = locus_pool_model(pool, i);
                if (strcmp(p->name, models[i].name) != 0 || p->cost < models[i].cost || p->cost > models[i].cost ||
                    p->available != models[i].available || p->evaluations != models[i].evaluations)
                    failure(__LINE__, "step %zu: model %zu changed to \"%s\"", step, i, p->name);
                if (memcmp(locus_pool_embedding(pool, i), zs + 6 * i, 6 * sizeof *zs) != 0)
                    failure(__LINE__, "step %zu: embedding %zu changed", step, i);
            }
            if (count) CHECK_SIZE(at < count ? at : 0, locus_pool_find(pool, models[at < count ? at : 0].name));
        }
        { // and what it predicts is what a pool made in one go predicts
            float *a = floats(3 * count), *b = floats(3 * count);
            locus_queries q = queries_of(queries, 3, 5);
            fresh = pool_of(f.net[0], zs, count);
            CHECK_STATUS(LOCUS_OK, predict(pool, &q, a, NULL));
            CHECK_STATUS(LOCUS_OK, predict(fresh, &q, b, NULL));
            CHECK_SAME("logits of a changed pool and a fresh one", b, a, 3 * count);
            locus_pool_destroy(fresh);
            free(a), free(b);
        }
        locus_pool_destroy(pool);
        free(models), free(zs), free(queries), free(next);
    }
    fixture_close(&f);
}

static void compare_pools(const locus_pool *a, const locus_pool *b, size_t d)
{
    size_t i;
    CHECK_SIZE(locus_pool_count(a), locus_pool_count(b));
    CHECK_TEXT(locus_pool_get_info(a).query_encoder, locus_pool_get_info(b).query_encoder);
    CHECK_SIZE(locus_pool_get_info(a).guard.model, locus_pool_get_info(b).guard.model);
    CHECK_NEAR(locus_pool_get_info(a).guard.margin, locus_pool_get_info(b).guard.margin, 0.0);
    for (i = 0; i < locus_pool_count(a) && i < locus_pool_count(b); i++) {
        const locus_model *p = locus_pool_model(a, i), *q = locus_pool_model(b, i);
        CHECK_TEXT(p->name, q->name);
        CHECK_NEAR(p->cost, q->cost, 0.0);
        CHECK_NEAR((double)p->parameters_b, (double)q->parameters_b, 0.0);
        CHECK_SIZE(p->available != 0, q->available != 0);
        CHECK(p->evaluations == q->evaluations);
        CHECK_SAME("embedding", locus_pool_embedding(a, i), locus_pool_embedding(b, i), d);
    }
}

static locus_pool *varied_pool(const locus_net *net, size_t M, const char *encoder)
{
    locus_pool *pool = NULL;
    size_t d = locus_net_get_info(net).z_dim, i;
    float *z = normals(M * d, 1.0, 90);
    CHECK_STATUS(LOCUS_OK, locus_pool_create(&pool, net, M, encoder, NULL, &g_err));
    for (i = 0; pool && i < M; i++) {
        char name[64];
        locus_model m;
        snprintf(name, sizeof name, "%s %zu \"\\/ \xc3\xa9", i % 2 ? "even" : "odd", i);
        m = model_named(name, 0.1 * (double)i);
        m.parameters_b = i % 3 ? 0.3f + (float)i : f_nan();
        m.available = i % 4 != 1;
        m.evaluations = i == 2 ? 0 : i == 3 ? 9007199254740993u : 17u * i;
        CHECK_STATUS(LOCUS_OK, locus_pool_add(pool, &m, z + i * d, NULL, &g_err));
    }
    if (pool) CHECK_STATUS(LOCUS_OK, locus_pool_set_guard(pool, M / 2, 0.0625, &g_err));
    free(z);
    return pool;
}

static void saved_pools_come_back_whole(void)
{
    static const size_t counts[] = {1, 2, 7, 130};
    fixture f;
    size_t k, what;
    if (fixture_make(&f, 9, 12, 3, 2, 5, 8, 0, 91)) {
        for (k = 0; k < COUNT(counts); k++)
            for (what = 0; what < 3; what++) {
                size_t M = counts[k], N = 5;
                const char *path = temp_path("pool");
                locus_pool *pool = varied_pool(f.net[0], M, "all-MiniLM-L6-v2"), *back = NULL, *routed = NULL;
                locus_net *net = NULL;
                locus_safetensors st;
                float *q = normals(N * 9, 1.0, 92), *a = floats(N * M), *b = floats(N * M);
                locus_queries queries = queries_of(q, N, 9);
                context("%zu models, save %zu", M, what);
                CHECK_STATUS(LOCUS_OK, predict(pool, &queries, a, NULL));
                if (!CHECK_STATUS(LOCUS_OK,
                                  locus_pool_save(pool, path, (locus_save_what)what, what ? &f.st : NULL, &g_err)))
                    continue;
                if (CHECK_STATUS(LOCUS_OK, locus_pool_open(&back, f.net[0], path, NULL, &g_err))) {
                    compare_pools(pool, back, 12);
                    CHECK_STATUS(LOCUS_OK, predict(back, &queries, b, NULL));
                    CHECK_SAME("logits of the saved pool", a, b, N * M);
                }
                if (what == 0) {
                    CHECK_ONE_OF(LOCUS_ERR_TENSOR, LOCUS_ERR_METADATA, locus_net_open(&net, path, NULL, &g_err));
                } else if (CHECK_STATUS(LOCUS_OK, locus_net_open(&net, path, NULL, &g_err))) {
                    locus_net_info info = locus_net_get_info(net), full = locus_net_get_info(f.net[0]);
                    sets s;
                    CHECK(info.hash == full.hash && info.encoder_hash == full.encoder_hash);
                    CHECK_SIZE(what == 2, (size_t)info.has_encoder);
                    CHECK(info.q_dim == 9 && info.z_dim == 12 && info.decoder_hidden == 8);
                    if (CHECK_STATUS(LOCUS_OK, locus_pool_open(&routed, net, path, NULL, &g_err))) {
                        compare_pools(pool, routed, 12);
                        CHECK_STATUS(LOCUS_OK, predict(routed, &queries, b, NULL));
                        CHECK_SAME("logits of the router file", a, b, N * M);
                    }
                    sets_make(&s, 6, 1, 9, MIXED, 0.0, 1.0, 93);
                    {
                        locus_evals e = sets_evals(&s);
                        float z[12], zf[12];
                        if (what == 1) {
                            CHECK_STATUS(LOCUS_ERR_NO_ENCODER, embed(net, &e, z, LOCUS_ENCODE_AUTO, NULL));
                        } else {
                            CHECK_STATUS(LOCUS_OK, embed(net, &e, z, LOCUS_ENCODE_AUTO, NULL));
                            CHECK_STATUS(LOCUS_OK, embed(f.net[0], &e, zf, LOCUS_ENCODE_AUTO, NULL));
                            CHECK_SAME("z of the router file's encoder", zf, z, 12);
                        }
                    }
                    sets_free(&s);
                    // a router file is the net file of its own successor
                    if (routed && CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err))) {
                        const char *second = temp_path("pool2");
                        locus_net *net2 = NULL;
                        locus_pool *pool2 = NULL;
                        CHECK_STATUS(LOCUS_OK, locus_pool_save(routed, second, (locus_save_what)what, &st, &g_err));
                        locus_safetensors_close(&st);
                        CHECK_STATUS(LOCUS_OK, locus_net_open(&net2, second, NULL, &g_err));
                        if (net2 && CHECK_STATUS(LOCUS_OK, locus_pool_open(&pool2, net2, second, NULL, &g_err))) {
                            CHECK_STATUS(LOCUS_OK, predict(pool2, &queries, b, NULL));
                            CHECK_SAME("logits of the second router file", a, b, N * M);
                        }
                        locus_pool_destroy(pool2);
                        locus_net_destroy(net2);
                        remove(second);
                    }
                    locus_pool_destroy(routed);
                    locus_net_destroy(net);
                }
                if (CHECK_STATUS(LOCUS_OK,
                                 locus_safetensors_open(&st, path, &g_err))) { // onto itself, while it is open
                    locus_pool *loaded = NULL;
                    locus_run run;
                    ZERO(run);
                    CHECK_ROOM(&run, LOCUS_OK, locus_pool_load(&loaded, f.net[0], &st, &run, &g_err));
                    if (loaded) compare_pools(pool, loaded, 12);
                    locus_pool_destroy(loaded);
                    room_close(__LINE__, &run);
                    locus_safetensors_close(&st);
                }
                if (what)
                    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_save(pool, path, (locus_save_what)what, NULL, &g_err));
                CHECK_STATUS(LOCUS_ERR_IO, locus_pool_save(pool, "/nonexistent/pool", LOCUS_SAVE_POOL, NULL, &g_err));
                locus_pool_destroy(pool), locus_pool_destroy(back);
                remove(path);
                free(q), free(a), free(b);
            }
    }
    fixture_close(&f);
}

// Loads a spoilt pool file; the status, or LOCUS_OK.
static locus_status spoilt(const raw_file *f, const locus_net *net, int as_net)
{
    size_t bytes;
    unsigned char *data = raw_bytes(f, &bytes);
    locus_safetensors st;
    locus_status s = locus_safetensors_parse(&st, data, bytes, NULL, &g_err);
    locus_pool *pool = NULL;
    locus_net *made = NULL;
    long blocks;
    if (!s) {
        blocks = g_blocks;
        s = as_net ? locus_net_create(&made, &st, NULL, &g_err) : locus_pool_load(&pool, net, &st, NULL, &g_err);
        if (!as_net && !s) { // in memory of our own, too
            locus_pool *placed = NULL;
            locus_run run;
            ZERO(run);
            CHECK_ROOM(&run, LOCUS_OK, locus_pool_load(&placed, net, &st, &run, &g_err));
            locus_pool_destroy(placed);
            room_close(__LINE__, &run);
        }
        CHECK((s == LOCUS_OK) == (as_net ? made != NULL : pool != NULL));
        if (pool) CHECK(locus_pool_count(pool) < 1000);
        locus_net_destroy(made);
        locus_pool_destroy(pool);
        if (g_blocks != blocks)
            failure(__LINE__, "expected no memory left behind, found %ld blocks", g_blocks - blocks);
        locus_safetensors_close(&st);
    }
    free(data);
    return s;
}

static raw_file *raw_open(const char *path)
{
    locus_safetensors st;
    raw_file *f = NULL;
    if (CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err))) {
        f = raw_from_st(&st);
        locus_safetensors_close(&st);
    }
    return f;
}

static int is_net_tensor(const char *name)
{
    return strncmp(name, "encoder.", 8) == 0 || strncmp(name, "decoder.", 8) == 0;
}

static void spoilt_pool_files_are_rejected(void)
{
    fixture f;
    size_t what, i, j, seen = 0;
    if (fixture_make(&f, 5, 6, 2, 1, 3, 4, 0, 95)) {
        for (what = 0; what < 3; what++) {
            const char *path = temp_path("spoilt");
            locus_pool *pool = varied_pool(f.net[0], 4, "enc");
            raw_file *raw;
            CHECK_STATUS(LOCUS_OK, locus_pool_save(pool, path, (locus_save_what)what, what ? &f.st : NULL, &g_err));
            locus_pool_destroy(pool);
            raw = raw_open(path);
            remove(path);
            if (!raw) continue;
            // Rewritten by our own serializer it is still good; then every pool tensor in turn is spoilt.
            CHECK_STATUS(LOCUS_OK, spoilt(raw, f.net[0], 0));
            if (what) CHECK_STATUS(LOCUS_OK, spoilt(raw, NULL, 1));
            for (i = 0; i < raw->count; i++) {
                raw_tensor *t = &raw->t[i], keep = *t;
                size_t elements = 1, width;
                if (is_net_tensor(t->name)) continue;
                seen++;
                for (j = 0; j < t->rank; j++) elements *= t->shape[j];
                width = elements ? t->bytes / elements : 1;
                for (j = 0; j < 4; j++) {
                    size_t k, want = width;
                    context("save %zu, %s spoilt in way %zu", what, t->name, j);
                    *t = keep;
                    if (j == 0) t->shape[0] -= t->shape[0] > 0;                    // a row less
                    if (j == 1) t->shape[t->rank - 1]++;                           // a column more
                    if (j == 2) snprintf(t->name, sizeof t->name, "other.%zu", i); // missing
                    if (j == 3) t->shape[t->rank++] = 1;                           // a dimension more
                    for (k = 0; k < t->rank; k++) want *= t->shape[k];
                    t->data = (unsigned char *)xmalloc(want);
                    memset(t->data, 0, want);
                    memcpy(t->data, keep.data, want < keep.bytes ? want : keep.bytes);
                    t->bytes = want;
                    if (spoilt(raw, f.net[0], 0) == LOCUS_OK)
                        failure(__LINE__, "expected an error, found the pool loaded");
                    free(t->data);
                }
                *t = keep;
            }
            context("save %zu", what);
            CHECK_STATUS(LOCUS_OK, spoilt(raw, f.net[0], 0));
            for (i = 0; i < raw->metas; i++) { // each entry of the metadata spoilt or missing
                char key[48], value[96];
                snprintf(key, sizeof key, "%s", raw->key[i]);
                snprintf(value, sizeof value, "%s", raw->value[i]);
                context("save %zu, metadata %s = %s", what, key, value);
                if (strstr(key, "hash")) {
                    locus_status s;
                    value[0] = (char)(value[0] == '1' ? '2' : '1'); // another hash
                    raw_meta(raw, key, value);
                    s = spoilt(raw, f.net[0], 0);
                    if (what == 0) CHECK(s == LOCUS_ERR_MISMATCH || s == LOCUS_ERR_METADATA || strstr(key, "encoder"));
                    if (what) {
                        locus_status t = spoilt(raw, NULL, 1);
                        if (s == LOCUS_OK && t == LOCUS_OK)
                            failure(__LINE__, "expected an error, found the hash ignored");
                    }
                    raw_meta(raw, key, "not a hash");
                    s = spoilt(raw, f.net[0], 0);
                    if (s == LOCUS_OK && (!what || spoilt(raw, NULL, 1) == LOCUS_OK))
                        failure(__LINE__, "expected an error, found the malformed hash ignored");
                    value[0] = (char)(value[0] == '1' ? '2' : '1');
                    seen++;
                }
                raw_meta(raw, key, ""); // no crash
                (void)spoilt(raw, f.net[0], 0);
                raw_meta(raw, key, "\xc3\xa9");
                (void)spoilt(raw, f.net[0], 0);
                raw_free(raw);
                pool = varied_pool(f.net[0], 4, "enc");
                CHECK_STATUS(LOCUS_OK, locus_pool_save(pool, path, (locus_save_what)what, what ? &f.st : NULL, &g_err));
                locus_pool_destroy(pool);
                raw = raw_open(path);
                remove(path);
                if (!raw) break;
            }
            if (raw && what) { // a weight that changed after the router file was written
                for (i = 0; i < raw->count; i++) {
                    if (!is_net_tensor(raw->t[i].name)) continue;
                    context("save %zu, last bit of %s flipped", what, raw->t[i].name);
                    raw->t[i].data[0] ^= 1u;
                    CHECK_STATUS(LOCUS_ERR_HASH, spoilt(raw, NULL, 1));
                    raw->t[i].data[0] ^= 1u;
                }
            }
            context("%s", "");
            if (raw) raw_free(raw);
        }
        CHECK(seen > 6); // the loops above did find pool tensors and hashes
        {                // no pool at all
            locus_pool *pool;
            CHECK_STATUS(LOCUS_ERR_NO_POOL, locus_pool_load(&pool, f.net[0], &f.st, NULL, &g_err));
            CHECK(pool == NULL);
        }
    }
    fixture_close(&f);
}

static void pool_names_in_files_are_checked(void)
{
    fixture f;
    if (fixture_make(&f, 5, 6, 2, 1, 3, 4, 0, 96)) {
        const char *path = temp_path("names");
        float *z = normals(12, 1.0, 97);
        locus_pool *pool = pool_of(f.net[0], z, 2); // "m0", "m1"
        raw_file *raw;
        CHECK_STATUS(LOCUS_OK, locus_pool_save(pool, path, LOCUS_SAVE_POOL, NULL, &g_err));
        raw = raw_open(path);
        if (raw) {
            size_t i, j, k, found = 0;
            // wherever "m1" stands in the file, it becomes "m0", or something that is no name
            static const char *const other[] = {"m0", "m\x01", "\xff\xfe"};
            for (k = 0; k < COUNT(other); k++) {
                for (i = 0; i < raw->count; i++)
                    for (j = 0; j + 1 < raw->t[i].bytes; j++)
                        if (memcmp(raw->t[i].data + j, "m1", 2) == 0) {
                            memcpy(raw->t[i].data + j, other[k], 2);
                            context("\"m1\" replaced by case %zu in tensor %s", k, raw->t[i].name);
                            CHECK_ONE_OF(LOCUS_ERR_NAME, LOCUS_ERR_POOL, spoilt(raw, f.net[0], 0));
                            memcpy(raw->t[i].data + j, "m1", 2);
                            found++;
                        }
                for (i = 0; i < raw->metas && k == 0; i++) {
                    char *at = strstr(raw->value[i], "m1");
                    if (!at) continue;
                    at[1] = '0';
                    context("\"m1\" replaced in metadata %s", raw->key[i]);
                    CHECK_ONE_OF(LOCUS_ERR_NAME, LOCUS_ERR_POOL, spoilt(raw, f.net[0], 0));
                    at[1] = '1';
                    found++;
                }
            }
            context("%s", "");
            CHECK(found > 0);
            raw_free(raw);
        }
        locus_pool_destroy(pool);
        remove(path);
        free(z);
    }
    fixture_close(&f);
}

static void pools_do_not_serve_another_net_or_encoder(void)
{
    fixture f;
    size_t i;
    if (fixture_make(&f, 5, 6, 2, 1, 3, 4, 0, 98)) {
        const char *path = temp_path("mismatch");
        raw_file *raw = raw_from_net(&f.ref);
        locus_net *a = NULL, *b = NULL;
        locus_pool *pool = NULL, *back;
        raw_meta(raw, "query_encoder", "enc-a");
        CHECK_STATUS(LOCUS_OK, raw_create(raw, NULL, &a));
        CHECK_STATUS(LOCUS_OK, locus_pool_create(&pool, a, 1, NULL, NULL, &g_err));
        CHECK_TEXT("enc-a", locus_pool_get_info(pool).query_encoder);
        {
            locus_model m = model_named("x", 0.0);
            float z[6] = {0.0f};
            CHECK_STATUS(LOCUS_OK, locus_pool_add(pool, &m, z, NULL, &g_err));
        }
        CHECK_STATUS(LOCUS_OK, locus_pool_save(pool, path, LOCUS_SAVE_POOL, NULL, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_pool_open(&back, a, path, NULL, &g_err));
        locus_pool_destroy(back);
        raw_meta(raw, "query_encoder", "enc-b");
        CHECK_STATUS(LOCUS_OK, raw_create(raw, NULL, &b));
        CHECK_STATUS(LOCUS_ERR_MISMATCH, locus_pool_open(&back, b, path, NULL, &g_err));
        CHECK(back == NULL);
        locus_net_destroy(b);
        raw_meta(raw, "query_encoder", "enc-a");
        for (i = 0; i < raw->count; i++) { // any weight makes another net
            raw->t[i].data[0] ^= 1u;
            context("%s", raw->t[i].name);
            CHECK_STATUS(LOCUS_OK, raw_create(raw, NULL, &b));
            CHECK_STATUS(LOCUS_ERR_MISMATCH, locus_pool_open(&back, b, path, NULL, &g_err));
            CHECK(back == NULL);
            locus_net_destroy(b);
            raw->t[i].data[0] ^= 1u;
        }
        context("%s", "");
        {
            fixture other;
            if (fixture_make(&other, 7, 10, 2, 1, 3, 4, 0, 99))
                CHECK_STATUS(LOCUS_ERR_MISMATCH, locus_pool_open(&back, other.net[0], path, NULL, &g_err));
            fixture_close(&other);
        }
        CHECK_STATUS(LOCUS_ERR_IO, locus_pool_open(&back, a, "/nonexistent/pool", NULL, &g_err));
        locus_pool_destroy(pool);
        locus_net_destroy(a);
        raw_free(raw);
        remove(path);
    }
    fixture_close(&f);
}

// ---------------------------------------------------------------------------------------------------- the predictor

static void predictions_match_the_reference(void)
{
    ref_rng g;
    size_t trial, i, m;
    int isa;
    g.state = 111 + g_seed;
    for (trial = 0; trial < trials(60); trial++) {
        fixture f;
        size_t heads = ref_range(&g, 1, 5), d = heads * ref_range(&g, 1, 9), D = ref_range(&g, 1, 70),
               hidden = ref_range(&g, 1, 70);
        size_t M = ref_range(&g, 1, 40), N = trial % 5 ? ref_range(&g, 1, 40) : ref_range(&g, 60, 140);
        context("trial %zu: D %zu d %zu hidden %zu M %zu N %zu", trial, D, d, hidden, M, N);
        if (fixture_make(&f, D, d, heads, 1, 2, hidden, 0, 300 + trial)) {
            double scale = trial % 4 == 3 ? 30.0 : 1.0;
            float *z = normals(M * d, 1.0, trial), *q = normals(N * D, scale, trial + 7), *logits = floats(N * M);
            double *expected = ref_alloc(N * M), *zr = ref_alloc(M * d), top = 1.0;
            locus_queries queries = queries_of(q, N, D);
            for (i = 0; i < M * d; i++) zr[i] = (double)z[i];
            for (i = 0; i < N; i++)
                for (m = 0; m < M; m++) {
                    double x = expected[i * M + m] = ref_logit(&f.ref, zr + m * d, q + i * D);
                    top = fabs(x) > top ? fabs(x) : top;
                }
            for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
                locus_pool *pool;
                char where[100];
                if (!f.net[isa]) continue;
                snprintf(where, sizeof where, "%.99s", g_context);
                context("%s %s", where, locus_isa_name((locus_isa)isa));
                pool = pool_of(f.net[isa], z, M);
                CHECK_STATUS(LOCUS_OK, predict(pool, &queries, logits, NULL));
                CHECK_CLOSE("logits", expected, logits, N * M, 2e-5 * top);
                locus_pool_destroy(pool);
                context("%s", where);
            }
            free(z), free(q), free(logits), free(expected), free(zr);
        }
        fixture_close(&f);
    }
}

static void predictions_are_bit_identical_in_every_batching(void)
{
    static const size_t batches[] = {1, 2, 3, 5, 8, 13, 64};
    size_t D = 11, d = 14, M = 37, N = 75, i, m, b, kind;
    int isa;
    fixture f;
    if (fixture_make(&f, D, d, 2, 1, 2, 19, 0, 121)) {
        float *z = normals(M * d, 1.0, 122), *q = normals(N * D, 1.0, 123), *all = floats(N * M), *part = floats(N * M),
              *wide = floats(N * (D + 2));
        for (i = 0; i < N * (D + 2); i++) wide[i] = i % (D + 2) < D ? q[i / (D + 2) * D + i % (D + 2)] : f_nan();
        for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
            locus_pool *pool, *one;
            locus_queries queries = queries_of(q, N, D);
            if (!f.net[isa]) continue;
            pool = pool_of(f.net[isa], z, M);
            CHECK_STATUS(LOCUS_OK, predict(pool, &queries, all, NULL));
            for (b = 0; b < COUNT(batches); b++) {
                context("%s in batches of %zu", locus_isa_name((locus_isa)isa), batches[b]);
                memset(part, 0xFF, N * M * sizeof *part);
                for (i = 0; i < N; i += batches[b]) {
                    queries = queries_of(q + i * D, batches[b] < N - i ? batches[b] : N - i, D);
                    CHECK_STATUS(LOCUS_OK, predict(pool, &queries, part + i * M, NULL));
                }
                CHECK_SAME("logits", all, part, N * M);
            }
            queries = queries_of(wide, N, D);
            queries.stride = D + 2;
            for (kind = 0; kind < THREAD_KINDS; kind++) {
                context("%s threading %zu, strided", locus_isa_name((locus_isa)isa), kind);
                memset(part, 0xFF, N * M * sizeof *part);
                CHECK_STATUS(LOCUS_OK, predict(pool, &queries, part, parallel_of(kind)));
                CHECK_SAME("logits", all, part, N * M);
            }
            for (m = 0; m < M; m += 5) { // pools of one and of the last few
                size_t rest = m % 2 ? 1 : M - m, k;
                context("%s models from %zu", locus_isa_name((locus_isa)isa), m);
                one = pool_of(f.net[isa], z + m * d, rest);
                CHECK_STATUS(LOCUS_OK, predict(one, &queries, part, NULL));
                for (i = 0; i < N; i++)
                    for (k = 0; k < rest; k++)
                        if (memcmp(part + i * rest + k, all + i * M + m + k, sizeof(float)) != 0)
                            failure(__LINE__, "query %zu model %zu: expected %.9g, found %.9g", i, m + k,
                                    (double)all[i * M + m + k], (double)part[i * rest + k]);
                locus_pool_destroy(one);
            }
            locus_pool_destroy(pool);
        }
        free(z), free(q), free(all), free(part), free(wide);
    }
    fixture_close(&f);
}

static void predictor_rejects_bad_input(void)
{
    fixture f;
    if (fixture_make(&f, 5, 6, 2, 1, 2, 4, 0, 125)) {
        float *z = normals(3 * 6, 1.0, 126), *q = normals(4 * 5, 1.0, 127), logits[12];
        locus_pool *pool = pool_of(f.net[0], z, 3);
        locus_queries queries = queries_of(q, 4, 5);
        size_t i;
        CHECK_STATUS(LOCUS_OK, predict(pool, &queries, logits, NULL));
        for (i = 0; i < 4; i++) {
            float keep = q[3 * 5 + 2];
            q[3 * 5 + 2] = i == 0 ? f_nan() : i == 1 ? f_inf() : i == 2 ? -f_inf() : 1e30f;
            CHECK_STATUS(LOCUS_ERR_NONFINITE, predict(pool, &queries, logits, NULL));
            CHECK_MESSAGE("3");
            q[3 * 5 + 2] = keep;
        }
        queries.dim = 6;
        CHECK_STATUS(LOCUS_ERR_QUERY_DIM, predict(pool, &queries, logits, NULL));
        queries.dim = 4;
        CHECK_STATUS(LOCUS_ERR_QUERY_DIM, predict(pool, &queries, logits, NULL));
        queries.dim = 5;
        queries.stride = 4;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, predict(pool, &queries, logits, NULL));
        queries.stride = 0;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_predict(NULL, &queries, logits, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_predict(pool, NULL, logits, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_predict(pool, &queries, NULL, NULL, &g_err));
        queries.encodings = NULL;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_predict(pool, &queries, logits, NULL, &g_err));
        locus_pool_destroy(pool);
        free(z), free(q);
    }
    fixture_close(&f);
}

// Weights, embeddings and encodings that are all within their limits, and together beyond a float's.
static void logits_that_overflow_are_errors(void)
{
    ref_net ref;
    raw_file *raw;
    locus_net *net = NULL;
    int isa;
    size_t kind;
    small_ref(&ref, 0, 2);
    scale_tensors(&ref, "decoder.U.weight", 5e11);
    scale_tensors(&ref, "decoder.mlp_head.0.weight", 5e11);
    raw = raw_from_net(&ref);
    for (isa = 1; isa < LOCUS_ISA_COUNT; isa++) {
        float *z, *q, *logits;
        locus_queries queries;
        locus_run opts;
        locus_pool *pool;
        locus_choice out[30];
        size_t i, m;
        if (!locus_isa_supported((locus_isa)isa)) continue;
        z = normals(40 * 6, 1.0, 128), q = normals(30 * 5, 1.0, 129), logits = floats(30 * 40);
        queries = queries_of(q, 30, 5);
        ZERO(opts);
        opts.isa = (locus_isa)isa;
        for (i = 0; i < 5; i++) q[27 * 5 + i] *= 5e10f; // one query, and of the models two
        for (m = 17; m < 31; m += 13)
            for (i = 0; i < 6; i++) z[m * 6 + i] *= 1e11f;
        CHECK_STATUS(LOCUS_OK, raw_create(raw, &opts, &net));
        pool = pool_of(net, z, 40);
        for (kind = 0; kind < THREAD_KINDS; kind++) {
            context("%s threading %zu", locus_isa_name((locus_isa)isa), kind);
            CHECK_STATUS(LOCUS_ERR_NONFINITE, predict(pool, &queries, logits, parallel_of(kind)));
            CHECK_MESSAGE("logits[27, 17]");
            CHECK_STATUS(LOCUS_ERR_NONFINITE, locus_route(pool, &queries, NULL, out, NULL, run_on(kind), &g_err));
            CHECK_MESSAGE("logits[27, 17]");
            CHECK_STATUS(LOCUS_ERR_NONFINITE, locus_route(pool, &queries, NULL, out, logits, run_on(kind), &g_err));
        }
        CHECK_STATUS(LOCUS_OK, locus_pool_remove(pool, 30, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_pool_remove(pool, 17, &g_err)); // without the two all is well
        CHECK_STATUS(LOCUS_OK, predict(pool, &queries, logits, NULL));
        locus_pool_destroy(pool);
        locus_net_destroy(net);
        free(z), free(q), free(logits);
    }
    context("%s", "");
    raw_free(raw);
    ref_free(&ref);
}

// Not a number is no logit: it would neither lose nor win a comparison.
static void logits_that_are_no_numbers_are_errors(void)
{
    fixture f;
    if (fixture_make(&f, 5, 6, 2, 1, 2, 4, 0, 133)) {
        float *z = normals(4 * 6, 1.0, 134), logits[12], y[12];
        locus_pool *pool = pool_of(f.net[0], z, 4);
        locus_choice out[6];
        locus_scores scores;
        locus_metrics m;
        double lambda;
        size_t i, k;
        ZERO(scores);
        for (i = 0; i < 12; i++) logits[i] = 0.1f * (float)i - 0.4f, y[i] = (float)(i % 2);
        scores.models = 4, scores.count = 3, scores.f32 = y;
        for (k = 0; k < 12; k++) {
            char where[32];
            const float keep = logits[k];
            context("NaN at %zu", k);
            snprintf(where, sizeof where, "logits[%zu, %zu]", k / 4, k % 4);
            logits[k] = f_nan();
            CHECK_STATUS(LOCUS_ERR_NONFINITE, locus_rank(pool, logits, 3, NULL, out, &g_err));
            CHECK_MESSAGE(where);
            CHECK_STATUS(LOCUS_ERR_NONFINITE,
                         locus_lambda_for_budget(pool, logits, 3, 100.0, NULL, &lambda, NULL, &g_err));
            CHECK_MESSAGE(where);
            for (i = 0; i < 3; i++) { // the cross-entropy of infinite logits is no number either
                logits[k] = i == 0 ? f_nan() : i == 1 ? f_inf() : -f_inf();
                CHECK_STATUS(LOCUS_ERR_NONFINITE, locus_metrics_compute(&m, logits, 3, &scores, NULL, NULL, &g_err));
                CHECK_MESSAGE(where);
                if (i) CHECK_STATUS(LOCUS_OK, locus_rank(pool, logits, 3, NULL, out, &g_err));
            }
            logits[k] = keep;
        }
        context("%s", "");
        CHECK_STATUS(LOCUS_OK, locus_rank(pool, logits, 3, NULL, out, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_metrics_compute(&m, logits, 3, &scores, NULL, NULL, &g_err));
        free(z);
        locus_pool_destroy(pool);
    }
    fixture_close(&f);
}

// Counts that no table in memory can have.
static void impossible_counts_are_refused(void)
{
    fixture f;
    if (fixture_make(&f, 5, 6, 2, 1, 2, 4, 0, 137)) {
        float *z = normals(2 * 6, 1.0, 138), *q = normals(5, 1.0, 139), logits[2];
        locus_pool *pool = pool_of(f.net[0], z, 2);
        locus_queries queries = queries_of(q, 1, 5);
        locus_choice out[1];
        locus_evals evals;
        locus_learn_opts o;
        float y[2] = {0.0f, 1.0f};
        size_t k;
        ZERO(evals), ZERO(o);
        evals.queries = queries, evals.scores.models = 2, evals.scores.f32 = y;
        for (k = 0; k < 3; k++) {
            context("count %zu", k);
            queries.count = k == 0 ? SIZE_MAX : k == 1 ? SIZE_MAX / 20 + 1 : SIZE_MAX / 4;
            queries.stride = k == 2 ? 6 : 0;
            CHECK_STATUS(LOCUS_ERR_OVERFLOW, locus_predict(pool, &queries, logits, NULL, &g_err));
            CHECK_STATUS(LOCUS_ERR_OVERFLOW, locus_route(pool, &queries, NULL, out, NULL, NULL, &g_err));
            o.unlabelled = queries;
            CHECK_STATUS(LOCUS_ERR_OVERFLOW, learn_recall(pool, &evals, &o, &g_err));
        }
        context("%s", "");
        if (SIZE_MAX > UINT32_MAX) {
            o.unlabelled = queries_of(q, (size_t)UINT32_MAX, 5);
            CHECK_STATUS(LOCUS_ERR_OVERFLOW, learn_recall(pool, &evals, &o, &g_err));
            CHECK_MESSAGE("unlabelled");
        }
        CHECK_SIZE(0, locus_pool_get_info(pool).recall.landmarks);
        free(z), free(q);
        locus_pool_destroy(pool);
    }
    fixture_close(&f);
}

static void probability_is_the_sigmoid(void)
{
    double x;
    CHECK_NEAR(0.5, locus_probability(0.0), 0.0);
    CHECK_NEAR(1.0, locus_probability(1000.0), 0.0);
    CHECK_NEAR(0.0, locus_probability(-1000.0), 0.0);
    CHECK_NEAR(1.0, locus_probability(INFINITY), 0.0);
    CHECK_NEAR(0.0, locus_probability(-INFINITY), 0.0);
    CHECK(locus_probability(-700.0) > 0.0);
    CHECK_NEAR(1.0, locus_probability(-700.0) / exp(-700.0), 1e-12);
    CHECK_NEAR(1.0, locus_probability(-DBL_MAX) + locus_probability(DBL_MAX), 0.0);
    for (x = -40.0; x <= 40.0; x += 0.37) {
        CHECK_NEAR(1.0 / (1.0 + exp(-x)), locus_probability(x), 1e-15);
        CHECK_NEAR(1.0, locus_probability(x) + locus_probability(-x), 1e-15);
    }
}

// ---------------------------------------------------------------------------------------------------- routing

typedef struct ranked {
    size_t model;
    double utility, logit;
} ranked;

static int better(const ranked *a, const ranked *b) // by utility, then logit, then index
{
    if (a->utility != a->utility || a->utility > b->utility) return 1;
    if (a->utility < b->utility) return 0;
    if (a->logit > b->logit) return 1;
    if (a->logit < b->logit) return 0;
    return a->model < b->model;
}

// The contract of locus_route for one query, by insertion sort. Returns the number of candidates; order[] is filled.
static size_t naive_route(const float *logits, const double *cost, const unsigned char *available, size_t M,
                          const locus_route_opts *o, ranked *order, locus_rule *rule)
{
    size_t count = 0, i, m, at = SIZE_MAX;
    for (m = 0; m < M; m++) {
        ranked r;
        if (!available[m] || (o->max_cost > 0.0 && cost[m] > o->max_cost)) continue;
        r.model = m;
        r.logit = (double)logits[m];
        r.utility = 1.0 / (1.0 + exp(-r.logit)) - o->lambda * cost[m];
        for (i = count; i > 0 && better(&r, &order[i - 1]); i--) order[i] = order[i - 1];
        order[i] = r;
        count++;
    }
    *rule = LOCUS_RULE_BEST;
    if (!o->guard || !count) return count;
    for (i = 0; i < count; i++)
        if (order[i].model == o->default_model) at = i;
    if (at == SIZE_MAX) {
        *rule = LOCUS_RULE_DEFAULT_EXCLUDED;
    } else if (order[0].model != o->default_model && order[0].utility - order[at].utility > o->margin) {
        *rule = LOCUS_RULE_BEAT_DEFAULT;
    } else {
        ranked keep = order[at];
        memmove(order + 1, order, at * sizeof *order);
        order[0] = keep;
        *rule = LOCUS_RULE_DEFAULT_KEPT;
    }
    return count;
}

static void routing_matches_a_plain_sort(void)
{
    size_t trial, seen[4] = {0, 0, 0, 0}, refused = 0;
    ref_rng g;
    fixture f;
    g.state = 131 + g_seed;
    if (fixture_make(&f, 5, 6, 2, 1, 2, 4, 0, 131)) {
        for (trial = 0; trial < trials(1200); trial++) {
            size_t M = ref_range(&g, 1, 12), N = ref_range(&g, 1, 6), top = ref_range(&g, 0, M + 2), i, m, k,
                   slots = top ? top : 1;
            float *z = normals(M * 6, 1.0, trial), *logits = floats(N * M);
            double *cost = (double *)xmalloc(M * sizeof *cost);
            unsigned char *available = (unsigned char *)xmalloc(M);
            locus_pool *pool = pool_of(f.net[0], z, M);
            locus_choice *out = (locus_choice *)xmalloc(N * slots * sizeof *out);
            ranked order[16];
            locus_rule rule;
            locus_route_opts o;
            locus_status s;
            int ties = ref_range(&g, 0, 1) == 1, ok = 1;
            ZERO(o);
            for (m = 0; m < M; m++) {
                locus_model model = *locus_pool_model(pool, m);
                cost[m] = (double)ref_range(&g, 0, 4) * 0.25;
                available[m] = (unsigned char)(ref_range(&g, 0, 3) > 0);
                model.cost = cost[m];
                model.available = available[m];
                CHECK_STATUS(LOCUS_OK, locus_pool_set(pool, m, &model, NULL, &g_err));
            }
            for (i = 0; i < N * M; i++)
                logits[i] = ties ? (float)ref_range(&g, 0, 3) * 0.5f - 0.75f : (float)ref_normal(&g);
            o.top = top;
            if (ref_range(&g, 0, 3) == 0) { // the caller's lists win over the pool's
                for (m = 0; m < M; m++)
                    available[m] = (unsigned char)(ref_range(&g, 0, 3) > 0),
                    cost[m] = (double)ref_range(&g, 0, 4) * 0.5;
                o.available = available;
                o.cost = cost;
            }
            if (ref_range(&g, 0, 2) == 0) o.max_cost = 0.5;
            if (ref_range(&g, 0, 1)) o.lambda = (double)ref_range(&g, 1, 8) / 16.0;
            if (ref_range(&g, 0, 1)) {
                o.guard = LOCUS_GUARD_GIVEN;
                o.default_model = ref_range(&g, 0, M - 1);
                o.margin = (double)ref_range(&g, 0, 3) * 0.0625;
            }
            context("trial %zu: M %zu N %zu top %zu", trial, M, N, top);
            s = locus_rank(pool, logits, N, &o, out, &g_err);
            if (naive_route(logits, cost, available, M, &o, order, &rule) == 0) {
                CHECK_GOT(LOCUS_ERR_NO_CANDIDATE, s);
                refused++;
            } else if (CHECK_GOT(LOCUS_OK, s)) {
                for (i = 0; i < N && ok; i++) {
                    size_t count = naive_route(logits + i * M, cost, available, M, &o, order, &rule);
                    const locus_choice *c = out + i * slots;
                    seen[rule]++;
                    ok &= CHECK_SIZE((size_t)rule, (size_t)c[0].rule);
                    for (k = 0; k < slots && ok; k++) {
                        ok &= CHECK_SIZE(k < count ? order[k].model : SIZE_MAX, c[k].model);
                        if (k >= count || !ok) continue;
                        m = order[k].model;
                        CHECK_NEAR(order[k].logit, (double)c[k].logit, 0.0);
                        CHECK_NEAR(cost[m], c[k].cost, 0.0);
                        CHECK_NEAR(1.0 / (1.0 + exp(-order[k].logit)), (double)c[k].probability, 1e-7);
                        CHECK_NEAR(order[k].utility, c[k].utility, 1e-7);
                    }
                }
            }
            free(z), free(logits), free(cost), free(available), free(out);
            locus_pool_destroy(pool);
        }
        context("%s", "");
        CHECK(seen[0] && seen[1] && seen[2] && seen[3] && refused); // all rules did occur
    }
    fixture_close(&f);
}

static void route_is_predict_and_rank(void)
{
    fixture f;
    size_t M = 9, N = 21, top = 3, kind, i;
    if (fixture_make(&f, 5, 6, 2, 1, 2, 4, 0, 133)) {
        float *z = normals(M * 6, 1.0, 134), *q = normals(N * 5, 1.0, 135), *logits = floats(N * M),
              *again = floats(N * M);
        locus_pool *pool = pool_of(f.net[0], z, M);
        locus_queries queries = queries_of(q, N, 5), one;
        locus_choice *a = (locus_choice *)xmalloc(N * top * sizeof *a),
                     *b = (locus_choice *)xmalloc(N * top * sizeof *b);
        locus_route_opts o;
        ZERO(o);
        o.top = top;
        o.lambda = 0.01;
        CHECK_STATUS(LOCUS_OK, predict(pool, &queries, logits, NULL));
        CHECK_STATUS(LOCUS_OK, locus_rank(pool, logits, N, &o, a, &g_err));
        for (kind = 0; kind < 2 * THREAD_KINDS; kind++) {
            locus_run run = *run_on(kind / 2);
            context("threading %zu%s", kind / 2, kind % 2 ? " without logits" : "");
            memset(again, 0xFF, N * M * sizeof *again);
            CHECK_ROOM(&run, LOCUS_OK, locus_route(pool, &queries, &o, b, kind % 2 ? NULL : again, &run, &g_err));
            room_close(__LINE__, &run);
            if (kind % 2 == 0) CHECK_SAME("logits", logits, again, N * M);
            for (i = 0; i < N * top; i++) {
                CHECK_SIZE(a[i].model, b[i].model);
                CHECK_SIZE((size_t)a[i].rule, (size_t)b[i].rule);
                CHECK_NEAR(a[i].utility, b[i].utility, 0.0);
            }
        }
        for (i = 0; i < N; i++) { // default options; one query
            size_t best = 0, m;
            one = queries_of(q + i * 5, 1, 5);
            CHECK_STATUS(LOCUS_OK, locus_route(pool, &one, NULL, b, NULL, NULL, &g_err));
            for (m = 0, best = 0; m < M; m++)
                if (logits[i * M + m] > logits[i * M + best]) best = m;
            CHECK_SIZE(best, b[0].model);
            CHECK(b[0].rule == LOCUS_RULE_BEST);
        }
        free(z), free(q), free(logits), free(again), free(a), free(b);
        locus_pool_destroy(pool);
    }
    fixture_close(&f);
}

// Sizes at which work is split in other ways: thousands of models for a few queries, and thousands of queries.
static void large_pools_and_batches_are_bit_identical(void)
{
    fixture f;
    size_t D = 3, d = 4, M = g_quick ? 1025 : 2500, N = g_quick ? 200 : 7000, few = 12, kind, i;
    if (fixture_make(&f, D, d, 2, 1, 2, 5, 0, 138)) {
        float *z = normals(M * d, 1.0, 139), *q = normals(N * D, 1.0, 140), *one = floats(5 * M), *all = floats(5 * M);
        float *logits = floats(N * few), *again = floats(N * few);
        locus_pool *many = pool_of(f.net[0], z, M), *pool = pool_of(f.net[0], z, few);
        locus_choice *a = (locus_choice *)xmalloc(N * sizeof *a), *b = (locus_choice *)xmalloc(N * sizeof *b);
        locus_route_opts o;
        locus_queries queries;
        for (i = 0; i < 5; i++) {
            queries = queries_of(q + i * D, 1, D);
            CHECK_STATUS(LOCUS_OK, predict(many, &queries, one + i * M, NULL));
        }
        for (i = 0; i < N; i++) {
            queries = queries_of(q + i * D, 1, D);
            CHECK_STATUS(LOCUS_OK, predict(pool, &queries, logits + i * few, NULL));
        }
        CHECK_STATUS(LOCUS_OK, locus_rank(pool, logits, N, NULL, a, &g_err));
        ZERO(o);
        for (kind = 0; kind < THREAD_KINDS; kind++) {
            context("threading %zu", kind);
            for (i = 1; i <= 5; i += 2) {
                queries = queries_of(q, i, D);
                memset(all, 0xFF, 5 * M * sizeof *all);
                CHECK_STATUS(LOCUS_OK, predict(many, &queries, all, parallel_of(kind)));
                CHECK_SAME("logits of many models", one, all, i * M);
            }
            queries = queries_of(q, N, D);
            for (i = 0; i < 2; i++) {
                memset(b, 0xFF, N * sizeof *b);
                CHECK_STATUS(LOCUS_OK, locus_route(pool, &queries, NULL, b, i ? again : NULL, run_on(kind), &g_err));
                {
                    size_t k, same = 0;
                    for (k = 0; k < N; k++)
                        same += a[k].model == b[k].model && a[k].rule == b[k].rule &&
                                memcmp(&a[k].utility, &b[k].utility, sizeof(double)) == 0 &&
                                memcmp(&a[k].logit, &b[k].logit, sizeof(float)) == 0;
                    CHECK_SIZE(N, same);
                }
                if (i) CHECK_SAME("logits of many queries", logits, again, N * few);
            }
            q[(N - 3) * D] = f_nan(); // named by its place in the whole batch
            {
                char row[32];
                snprintf(row, sizeof row, "%zu", N - 3);
                CHECK_STATUS(LOCUS_ERR_NONFINITE, locus_route(pool, &queries, NULL, b, NULL, run_on(kind), &g_err));
                CHECK_MESSAGE(row);
            }
            q[(N - 3) * D] = 0.0f;
            if (kind == 0) { // the same query from now on
                queries = queries_of(q + (N - 3) * D, 1, D);
                CHECK_STATUS(LOCUS_OK, predict(pool, &queries, logits + (N - 3) * few, NULL));
                CHECK_STATUS(LOCUS_OK, locus_rank(pool, logits, N, NULL, a, &g_err));
            }
        }
        free(z), free(q), free(one), free(all), free(logits), free(again), free(a), free(b);
        locus_pool_destroy(many), locus_pool_destroy(pool);
    }
    fixture_close(&f);
}

static void routing_arguments_are_checked(void)
{
    fixture f;
    if (fixture_make(&f, 5, 6, 2, 1, 2, 4, 0, 136)) {
        float *z = normals(3 * 6, 1.0, 137), logits[3] = {0.1f, 0.2f, 0.3f};
        locus_pool *pool = pool_of(f.net[0], z, 3), *empty = NULL;
        locus_choice out[2];
        locus_route_opts o;
        double lambda, cost;
        static const double bad[] = {-1.0, -1e-300};
        size_t i;
        ZERO(o);
        CHECK_STATUS(LOCUS_OK, locus_rank(pool, logits, 1, &o, out, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_rank(pool, logits, 1, NULL, out, &g_err));
        CHECK_SIZE(2, out[0].model);
        for (i = 0; i < 4; i++) {
            double x = i < 2 ? bad[i] : i == 2 ? NAN : INFINITY;
            context("%g", x);
            ZERO(o);
            o.lambda = x;
            CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_rank(pool, logits, 1, &o, out, &g_err));
            if (i == 3) continue; // an infinite margin or cap is a wish that can be granted
            ZERO(o);
            o.guard = LOCUS_GUARD_GIVEN;
            o.margin = x;
            CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_rank(pool, logits, 1, &o, out, &g_err));
            ZERO(o);
            o.max_cost = x;
            CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_rank(pool, logits, 1, &o, out, &g_err));
        }
        context("%s", "");
        ZERO(o);
        o.guard = LOCUS_GUARD_GIVEN;
        o.default_model = 3;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_rank(pool, logits, 1, &o, out, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_rank(NULL, logits, 1, NULL, out, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_rank(pool, NULL, 1, NULL, out, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_rank(pool, logits, 1, NULL, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_lambda_for_budget(pool, logits, 1, NAN, NULL, &lambda, &cost, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_lambda_for_budget(pool, logits, 1, 1.0, NULL, NULL, &cost, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_pool_create(&empty, f.net[0], 0, NULL, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_NO_CANDIDATE, locus_rank(empty, logits, 1, NULL, out, &g_err));
        locus_pool_destroy(empty);
        locus_pool_destroy(pool);
        free(z);
    }
    fixture_close(&f);
}

static double naive_mean_cost(const float *logits, size_t N, const double *cost, const unsigned char *available,
                              size_t M, const locus_route_opts *opts, double lambda)
{
    ranked order[16];
    locus_rule rule;
    locus_route_opts o = *opts;
    double sum = 0.0;
    size_t i;
    o.lambda = lambda;
    for (i = 0; i < N; i++) {
        naive_route(logits + i * M, cost, available, M, &o, order, &rule);
        sum += cost[order[0].model];
    }
    return sum / (double)N;
}

static void lambda_for_a_budget_is_the_smallest_that_meets_it(void)
{
    size_t trial, infeasible = 0, zero = 0, priced = 0;
    ref_rng g;
    fixture f;
    g.state = 141 + g_seed;
    if (fixture_make(&f, 5, 6, 2, 1, 2, 4, 0, 141)) {
        for (trial = 0; trial < trials(300); trial++) {
            size_t M = ref_range(&g, 1, 8), N = (size_t)1 << ref_range(&g, 0, 5), i, m, k;
            float *z = normals(M * 6, 1.0, trial), *logits = floats(N * M);
            double cost[8];
            unsigned char available[8];
            locus_pool *pool = pool_of(f.net[0], z, M);
            locus_route_opts o;
            double budget, lambda = -1.0, mean = -1.0, least = HUGE_VAL, best = HUGE_VAL;
            locus_status s;
            ZERO(o);
            for (m = 0; m < M; m++) {
                cost[m] = (double)ref_range(&g, 1, 64) * 0.125;
                available[m] = (unsigned char)(m == 0 || ref_range(&g, 0, 3) > 0);
                if (available[m] && cost[m] < least) least = cost[m];
            }
            for (i = 0; i < N * M; i++) logits[i] = (float)ref_normal(&g);
            o.available = available;
            o.cost = cost;
            o.lambda = 123.0; // ignored
            if (trial % 3 == 1) {
                o.guard = LOCUS_GUARD_GIVEN;
                o.default_model = ref_range(&g, 0, M - 1);
                o.margin = 0.05;
            }
            budget = trial % 10 == 0 ? least : (double)ref_range(&g, 0, 64) * 0.125 + (trial % 2 ? 0.03 : 0.0);
            context("trial %zu: M %zu N %zu budget %g%s", trial, M, N, budget, o.guard ? " default" : "");
            s = locus_lambda_for_budget(pool, logits, N, budget, &o, &lambda, &mean, &g_err);
            if (budget < least) {
                CHECK_GOT(LOCUS_ERR_BUDGET, s);
                infeasible++;
            } else if (CHECK_GOT(LOCUS_OK, s)) {
                // All prices at which a choice can change: where two models, less the default's margin, are level.
                if (naive_mean_cost(logits, N, cost, available, M, &o, 0.0) <= budget) best = 0.0;
                for (i = 0; i < N && best > 0.0; i++)
                    for (m = 0; m < M; m++)
                        for (k = 0; k < M; k++) {
                            double p = 1.0 / (1.0 + exp(-(double)logits[i * M + m])),
                                   q = 1.0 / (1.0 + exp(-(double)logits[i * M + k]));
                            double x;
                            if (o.guard && m == o.default_model) p += o.margin;
                            if (o.guard && k == o.default_model) q += o.margin;
                            if (!(cost[m] > cost[k])) continue;
                            x = (p - q) / (cost[m] - cost[k]);
                            if (x > 0.0 && x < best &&
                                naive_mean_cost(logits, N, cost, available, M, &o, x * (1.0 + 1e-9) + 1e-13) <= budget)
                                best = x;
                        }
                CHECK_NEAR(best, lambda, 1e-6 * best + 1e-12);
                CHECK(mean <= budget);
                // a hair above, where the last bit of a probability decides nothing
                CHECK_NEAR(naive_mean_cost(logits, N, cost, available, M, &o, lambda * (1.0 + 1e-9) + 1e-13), mean,
                           1e-9);
                if (lambda > 0.0) {
                    priced++;
                    CHECK(naive_mean_cost(logits, N, cost, available, M, &o, lambda * (1.0 - 1e-5)) > budget);
                } else {
                    zero++;
                }
                o.lambda = lambda; // the price does in locus_rank what was promised
                {
                    locus_choice *c = (locus_choice *)xmalloc(N * sizeof *c);
                    double sum = 0.0;
                    CHECK_STATUS(LOCUS_OK, locus_rank(pool, logits, N, &o, c, &g_err));
                    for (i = 0; i < N; i++) sum += c[i].cost;
                    CHECK_NEAR(mean, sum / (double)N, 1e-12);
                    free(c);
                }
            }
            free(z), free(logits);
            locus_pool_destroy(pool);
        }
        context("%s", "");
        CHECK(infeasible && zero && priced);
    }
    fixture_close(&f);
}

// ---------------------------------------------------------------------------------------------------- metrics

static void metrics_match_their_definitions(void)
{
    size_t trial;
    ref_rng g;
    g.state = 151 + g_seed;
    for (trial = 0; trial < trials(200); trial++) {
        size_t M = ref_range(&g, 1, 9), columns_of = ref_range(&g, 1, 40), n = ref_range(&g, 1, columns_of), i, m, k, b,
               best = ref_range(&g, 0, M - 1);
        int fractional = trial % 4 == 3, ties = trial % 2 == 1, subset = trial % 3 == 1, select_some = trial % 5 == 2;
        float *logits = floats(n * M), *y = floats(M * columns_of);
        unsigned char *u8 = (unsigned char *)xmalloc(M * columns_of), *routed = (unsigned char *)calloc(M, 1);
        size_t *columns = (size_t *)xmalloc(n * sizeof *columns),
               *order = (size_t *)xmalloc(columns_of * sizeof *order);
        int32_t *select = (int32_t *)xmalloc(n * sizeof *select);
        locus_scores scores;
        locus_metrics_opts opts;
        locus_metrics e, found;
        double wins = 0.0, losses = 0.0, auc = 0.0, bin_p[15] = {0.0}, bin_y[15] = {0.0}, bin_n[15] = {0.0};
        size_t pass;
        ZERO(e);
        ZERO(scores);
        shuffle(order, columns_of, &g);
        if (!routed) exit(2);
        for (i = 0; i < n; i++) {
            columns[i] = subset ? order[i] : i;
            select[i] = (int32_t)ref_range(&g, 0, 2) - 1;
        }
        for (i = 0; i < n * M; i++)
            logits[i] = ties ? (float)ref_range(&g, 0, 4) - 2.0f : (float)(3.0 * ref_normal(&g));
        if (trial % 7 == 0) logits[0] = 120.0f;
        for (i = 0; i < M * columns_of; i++) {
            y[i] = ref_range(&g, 0, 4) == 0 ? f_nan()
                   : fractional             ? (float)ref_range(&g, 0, 4) * 0.25f
                                            : (float)ref_range(&g, 0, 1);
            u8[i] = (unsigned char)(y[i] != y[i] ? 255 : y[i] > 0.5f);
        }
        for (i = 0; i < n; i++) {
            const float *row = logits + i * M;
            size_t right_of = 0, rank_of_right = SIZE_MAX;
            if (select_some && select[i] != 1) continue;
            e.queries++;
            for (m = 0; m < M; m++) {
                float score = y[m * columns_of + columns[i]];
                double p = 1.0 / (1.0 + exp(-(double)row[m])), x = (double)row[m], target = (double)score;
                size_t rank = 0;
                for (k = 0; k < M; k++) rank += row[k] > row[m] || (!(row[k] < row[m]) && k < m);
                if (rank == 0) routed[m] = 1;
                if (score != score) continue;
                e.pairs++;
                if (score > 0.5f) {
                    right_of++;
                    if (rank < rank_of_right) rank_of_right = rank;
                    if (m == best) e.best_single += 1.0;
                }
                e.prediction_accuracy += (p >= 0.5) == (score > 0.5f);
                e.bce += (x > 0.0 ? x : 0.0) - x * target + log1p(exp(-fabs(x)));
                e.brier += (p - target) * (p - target);
                b = (size_t)(p * 15.0);
                if (b > 14) b = 14;
                bin_p[b] += p, bin_y[b] += target, bin_n[b] += 1.0;
            }
            e.hit1 += rank_of_right < 1, e.hit3 += rank_of_right < 3, e.hit5 += rank_of_right < 5;
            e.random_model += (double)right_of / (double)M;
            e.oracle += right_of > 0;
        }
        for (i = 0; i < n * M; i++) // area under the curve: over all pairs of a right and a wrong one
            for (k = 0; k < n * M; k++) {
                float a = y[(i % M) * columns_of + columns[i / M]], c = y[(k % M) * columns_of + columns[k / M]];
                if (select_some && (select[i / M] != 1 || select[k / M] != 1)) continue;
                if (a != a || c != c || !(a > 0.5f) || c > 0.5f) continue;
                wins += logits[i] > logits[k] ? 1.0 : logits[i] < logits[k] ? 0.0 : 0.5;
                losses += 1.0;
            }
        auc = losses > 0.0 ? wins / losses : NAN;
        for (m = 0; m < M; m++) e.models_routed += routed[m];
        for (b = 0; b < 15; b++) e.ece += e.pairs ? fabs(bin_p[b] - bin_y[b]) / (double)e.pairs : 0.0;

        scores.models = M;
        scores.count = columns_of;
        ZERO(opts);
        opts.columns = subset ? columns : NULL;
        opts.select = select_some ? select : NULL;
        opts.value = 1;
        opts.leaders = &best;
        opts.leader_count = 1;
        for (pass = 0; pass < (fractional ? 1u : 2u) && e.queries && e.pairs; pass++) {
            double q = (double)e.queries, p = (double)e.pairs;
            scores.f32 = pass ? NULL : y;
            scores.u8 = pass ? u8 : NULL;
            context("trial %zu: M %zu n %zu%s%s", trial, M, n, fractional ? " fractional" : "", pass ? " u8" : "");
            memset(&found, 0xFF, sizeof found);
            if (!CHECK_STATUS(LOCUS_OK, locus_metrics_compute(&found, logits, n, &scores, &opts, NULL, &g_err)))
                continue;
            CHECK_SIZE(e.queries, found.queries);
            CHECK_SIZE(e.pairs, found.pairs);
            CHECK_SIZE(e.models_routed, found.models_routed);
            CHECK_NEAR(e.hit1 / q, found.hit1, 1e-12);
            CHECK_NEAR(e.hit3 / q, found.hit3, 1e-12);
            CHECK_NEAR(e.hit5 / q, found.hit5, 1e-12);
            CHECK_NEAR(e.best_single / q, found.best_single, 1e-12);
            CHECK_NEAR(e.random_model / q, found.random_model, 1e-12);
            CHECK_NEAR(e.oracle / q, found.oracle, 1e-12);
            CHECK_NEAR(e.prediction_accuracy / p, found.prediction_accuracy, 1e-12);
            CHECK_NEAR(e.bce / p, found.bce, 1e-6);
            CHECK_NEAR(e.brier / p, found.brier, 1e-6);
            CHECK_NEAR(auc, found.auc, 1e-12);
            if (!fractional) CHECK_NEAR(e.ece, found.ece, 1e-6);
        }
        scores.f32 = y;
        scores.u8 = NULL;
        CHECK_MEMORY(locus_metrics_compute(&found, logits, n, &scores, NULL, &g_run, &g_err));
        for (pass = 0; pass < (fractional ? 1u : 2u); pass++) { // the leader: the best mean, missing ones 0
            size_t top = 0, leaders[64];
            double best_sum = 0.0;
            for (m = 0; m < M; m++) {
                double sum = 0.0;
                for (i = 0; i < n; i++) {
                    const float one = y[m * columns_of + columns[i]];
                    sum += one > 0.0f ? (double)one : 0.0;
                }
                if (sum > best_sum) best_sum = sum, top = m;
            }
            scores.f32 = pass ? NULL : y;
            scores.u8 = pass ? u8 : NULL;
            CHECK_MEMORY(locus_leaders(&scores, columns, n, LOCUS_AMONG_ALL, leaders, NULL, &g_run, &g_err));
            CHECK_SIZE(top, leaders[0]);
        }
        free(logits), free(y), free(u8), free(routed), free(columns), free(order), free(select);
    }
}

static void metrics_reject_bad_input(void)
{
    float logits[4] = {0.0f, 1.0f, 2.0f, -1.0f}, y[4] = {0.0f, 1.0f, 1.5f, 0.0f};
    unsigned char u8[4] = {0, 1, 9, 0};
    size_t columns[2] = {0, 7};
    locus_scores scores;
    locus_metrics m;
    locus_metrics_opts bad_columns, bad_leader;
    ZERO(bad_columns);
    ZERO(bad_leader);
    bad_columns.columns = columns;
    bad_leader.leaders = columns + 1; // 7
    bad_leader.leader_count = 1;
    ZERO(scores);
    scores.models = 2;
    scores.count = 2;
    scores.f32 = y;
    CHECK_STATUS(LOCUS_ERR_SCORE, locus_metrics_compute(&m, logits, 2, &scores, NULL, NULL, &g_err));
    y[2] = -0.5f;
    CHECK_STATUS(LOCUS_ERR_SCORE, locus_metrics_compute(&m, logits, 2, &scores, NULL, NULL, &g_err));
    y[2] = 0.0f;
    CHECK_STATUS(LOCUS_OK, locus_metrics_compute(&m, logits, 2, &scores, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_metrics_compute(&m, logits, 2, &scores, &bad_columns, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_metrics_compute(&m, logits, 2, &scores, &bad_leader, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_metrics_compute(NULL, logits, 2, &scores, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_metrics_compute(&m, NULL, 2, &scores, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_metrics_compute(&m, logits, 2, NULL, NULL, NULL, &g_err));
    scores.f32 = NULL;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_metrics_compute(&m, logits, 2, &scores, NULL, NULL, &g_err));
    scores.u8 = u8;
    CHECK_STATUS(LOCUS_ERR_SCORE, locus_metrics_compute(&m, logits, 2, &scores, NULL, NULL, &g_err));
}

static void guards_follow_their_model(void)
{
    fixture f;
    if (fixture_make(&f, 5, 6, 2, 1, 3, 4, 0, 201)) {
        float *z = normals(6 * 6, 1.0, 202);
        locus_pool *pool = pool_of(f.net[0], z, 5), *copy = NULL, *back = NULL;
        locus_model m = model_named("new", 0.0);
        const char *path = temp_path("guard");
        static const double bad[] = {-0.1, 1.1, NAN, HUGE_VAL};
        size_t i;
        CHECK_SIZE(SIZE_MAX, locus_pool_get_info(pool).guard.model);
        for (i = 0; i < COUNT(bad); i++) {
            CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_set_guard(pool, 1, bad[i], &g_err));
            CHECK_MESSAGE("margin");
        }
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_set_guard(pool, 5, 0.1, &g_err));
        CHECK_MESSAGE("model");
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_pool_set_guard(NULL, 0, 0.1, &g_err));
        CHECK_SIZE(SIZE_MAX, locus_pool_get_info(pool).guard.model); // a refused one leaves what was
        CHECK_STATUS(LOCUS_OK, locus_pool_set_guard(pool, 3, 0.1, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_pool_add(pool, &m, z + 30, NULL, &g_err));
        CHECK_SIZE(3, locus_pool_get_info(pool).guard.model);
        CHECK_NEAR(0.1, locus_pool_get_info(pool).guard.margin, 0.0);
        CHECK_STATUS(LOCUS_OK, locus_pool_remove(pool, 1, &g_err)); // below it
        CHECK_SIZE(2, locus_pool_get_info(pool).guard.model);
        CHECK_STATUS(LOCUS_OK, locus_pool_remove(pool, 4, &g_err)); // above it
        CHECK_SIZE(2, locus_pool_get_info(pool).guard.model);
        CHECK_TEXT("m3", locus_pool_model(pool, 2)->name);
#ifndef LOCUS_NO_EXPLORE
        CHECK_STATUS(LOCUS_OK, locus_pool_copy(&copy, pool, NULL, &g_err));
        CHECK_SIZE(2, locus_pool_get_info(copy).guard.model);
        CHECK_NEAR(0.1, locus_pool_get_info(copy).guard.margin, 0.0);
        locus_pool_destroy(copy);
#endif
        CHECK_STATUS(LOCUS_OK, locus_pool_save(pool, path, LOCUS_SAVE_POOL, NULL, &g_err));
        if (CHECK_STATUS(LOCUS_OK, locus_pool_open(&back, f.net[0], path, NULL, &g_err))) {
            CHECK_SIZE(2, locus_pool_get_info(back).guard.model);
            CHECK_NEAR(0.1, locus_pool_get_info(back).guard.margin, 0.0); // to the last bit
        }
        locus_pool_destroy(back);
        for (i = 0; i < 7; i++) { // every way in which a file may be wrong about it
            static const double values[7][2] = {{4.0, 0.1},  {-1.0, 0.1}, {1.5, 0.1}, {NAN, 0.1},
                                                {1.0, -0.1}, {1.0, 1.5},  {1.0, NAN}};
            raw_file *raw = raw_open(path);
            raw_tensor *t = raw ? raw_find(raw, "pool.guard") : NULL;
            if (!CHECK(t != NULL)) break;
            context("guard %g, %g", values[i][0], values[i][1]);
            CHECK_STATUS(LOCUS_OK, spoilt(raw, f.net[0], 0));
            memcpy(t->data, values[i], 16); // little-endian machines only, as the file
            CHECK_STATUS(LOCUS_ERR_POOL, spoilt(raw, f.net[0], 0));
            CHECK_MESSAGE("pool.guard");
            raw_free(raw);
        }
        context("%s", "");
        CHECK_STATUS(LOCUS_OK, locus_pool_remove(pool, 2, &g_err)); // itself
        CHECK_SIZE(SIZE_MAX, locus_pool_get_info(pool).guard.model);
        CHECK_STATUS(LOCUS_OK, locus_pool_set_guard(pool, 0, 0.5, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_pool_set_guard(pool, SIZE_MAX, NAN, &g_err));
        CHECK_SIZE(SIZE_MAX, locus_pool_get_info(pool).guard.model);
        CHECK_STATUS(LOCUS_OK, locus_pool_save(pool, path, LOCUS_SAVE_POOL, NULL, &g_err));
        if (CHECK_STATUS(LOCUS_OK, locus_pool_open(&back, f.net[0], path, NULL, &g_err)))
            CHECK_SIZE(SIZE_MAX, locus_pool_get_info(back).guard.model);
        locus_pool_destroy(back);
        remove(path);
        locus_pool_destroy(pool);
        free(z);
    }
    fixture_close(&f);
}

static void costs_keep_every_bit_and_old_files_are_read(void)
{
    fixture f;
    if (fixture_make(&f, 5, 6, 2, 1, 3, 4, 0, 203)) {
        static const double costs[] = {1.23456789012345678e-9, 0.1, 0.0, NAN, 5e-324, 1e300};
        float *z = normals(6 * 6, 1.0, 204);
        locus_pool *pool = pool_of(f.net[0], z, 6), *back = NULL;
        const char *path = temp_path("costs");
        raw_file *raw;
        size_t i;
        for (i = 0; i < 6; i++) {
            locus_model m = *locus_pool_model(pool, i);
            m.cost = costs[i];
            CHECK_STATUS(LOCUS_OK, locus_pool_set(pool, i, &m, NULL, &g_err));
        }
        CHECK_STATUS(LOCUS_OK, locus_pool_save(pool, path, LOCUS_SAVE_POOL, NULL, &g_err));
        if (CHECK_STATUS(LOCUS_OK, locus_pool_open(&back, f.net[0], path, NULL, &g_err)))
            for (i = 0; i < 6; i++) CHECK_NEAR(costs[i], locus_pool_model(back, i)->cost, 0.0);
        locus_pool_destroy(back);
        raw = raw_open(path);
        for (i = 0; raw && i < raw->count; i++)
            if (strcmp(raw->t[i].name, "pool.cost") == 0) { // as version 0.3 wrote it
                raw_tensor *t = &raw->t[i];
                size_t bytes, k;
                unsigned char *data;
                locus_safetensors st;
                strcpy(t->dtype, "F32");
                for (k = 0; k < 6; k++) put_f32(t->data + 4 * k, k == 3 ? f_nan() : 0.25f * (float)k);
                t->bytes = 24;
                data = raw_bytes(raw, &bytes);
                if (CHECK_STATUS(LOCUS_OK, locus_safetensors_parse(&st, data, bytes, NULL, &g_err))) {
                    if (CHECK_STATUS(LOCUS_OK, locus_pool_load(&back, f.net[0], &st, NULL, &g_err)))
                        for (k = 0; k < 6; k++)
                            CHECK_NEAR(k == 3 ? NAN : 0.25 * (double)k, locus_pool_model(back, k)->cost, 0.0);
                    locus_pool_destroy(back);
                    locus_safetensors_close(&st);
                }
                free(data);
                put_f32(t->data, -1.0f);
                CHECK_STATUS(LOCUS_ERR_POOL, spoilt(raw, f.net[0], 0));
                CHECK_MESSAGE("cost of");
            }
        if (raw) raw_free(raw);
        remove(path);
        locus_pool_destroy(pool);
        free(z);
    }
    fixture_close(&f);
}

// Unknown costs, costs and availability by query, the pool's guard: against the contract, written anew.
static void unknown_costs_are_never_free(void)
{
    size_t trial, refused = 0, allowed = 0, guarded = 0;
    ref_rng g;
    fixture f;
    g.state = 205 + g_seed;
    if (fixture_make(&f, 5, 6, 2, 1, 2, 4, 0, 205)) {
        for (trial = 0; trial < trials(1500); trial++) {
            size_t M = ref_range(&g, 1, 9), N = ref_range(&g, 1, 5), i, m;
            float *z = normals(M * 6, 1.0, trial), *logits = floats(N * M);
            double *cost = (double *)xmalloc(N * M * sizeof *cost), total = 0.0;
            unsigned char *available = (unsigned char *)xmalloc(N * M);
            locus_pool *pool = pool_of(f.net[0], z, M);
            locus_choice *out = (locus_choice *)xmalloc(N * sizeof *out);
            locus_route_opts o;
            size_t guard = SIZE_MAX;
            double margin = 0.0;
            int none = 0, needs, no_cost = 0;
            locus_status s;
            ZERO(o);
            for (i = 0; i < N * M; i++) {
                logits[i] = (float)ref_normal(&g);
                cost[i] = ref_range(&g, 0, 3) ? 1e-6 * (double)ref_range(&g, 0, 8) : NAN;
                available[i] = ref_range(&g, 0, 5) > 0;
            }
            o.query_cost = cost;
            o.query_available = available;
            o.unpriced = (locus_unpriced)ref_range(&g, 0, 2);
            if (ref_range(&g, 0, 1)) o.lambda = 1e5 * (double)ref_range(&g, 1, 4);
            if (ref_range(&g, 0, 2) == 0) o.max_cost = 4e-6;
            if (ref_range(&g, 0, 1)) {
                guard = ref_range(&g, 0, M - 1);
                margin = 0.125 * (double)ref_range(&g, 0, 2);
                CHECK_STATUS(LOCUS_OK, locus_pool_set_guard(pool, guard, margin, &g_err));
                if (ref_range(&g, 0, 2) == 0) {
                    o.guard = LOCUS_GUARD_NONE;
                    guard = SIZE_MAX;
                }
            }
            if (ref_range(&g, 0, 3) == 0) {
                o.guard = LOCUS_GUARD_GIVEN;
                guard = o.default_model = ref_range(&g, 0, M - 1);
                margin = o.margin = 0.25;
            }
            needs = o.lambda > 0.0 || o.max_cost > 0.0;
            context("trial %zu: M %zu N %zu unpriced %d lambda %g", trial, M, N, (int)o.unpriced, o.lambda);
            s = locus_rank(pool, logits, N, &o, out, &g_err);
            for (i = 0; i < N && !none; i++) {
                double dearest = 0.0, best = 0.0, of_guard = 0.0;
                size_t chosen = SIZE_MAX;
                int in[9], guard_in;
                for (m = 0; m < M; m++) {
                    const double c = cost[i * M + m];
                    in[m] = available[i * M + m];
                    if (c != c)
                        in[m] &= o.unpriced == LOCUS_UNPRICED_ALLOW || (o.unpriced == LOCUS_UNPRICED_AUTO && !needs);
                    else in[m] &= !(o.max_cost > 0.0 && c > o.max_cost);
                    if (in[m] && c > dearest) dearest = c;
                }
                for (m = 0; m < M; m++) {
                    const double c = cost[i * M + m], p = 1.0 / (1.0 + exp(-(double)logits[i * M + m]));
                    const double u = o.lambda > 0.0 ? p - o.lambda * (c != c ? dearest : c) : p;
                    if (m == guard) of_guard = u;
                    if (in[m] && (chosen == SIZE_MAX || u > best + 1e-12)) best = u, chosen = m;
                }
                if (chosen == SIZE_MAX) {
                    none = 1;
                    break;
                }
                guard_in = guard != SIZE_MAX && in[guard];
                if (s) continue;
                if (guard_in && best - of_guard <= margin) {
                    CHECK_SIZE(guard, out[i].model);
                    CHECK(out[i].rule == LOCUS_RULE_DEFAULT_KEPT);
                    guarded++;
                } else if (fabs(best - out[i].utility) > 1e-9)
                    failure(__LINE__, "utility %g, not %g", out[i].utility, best);
                if (guard_in && out[i].model != guard) CHECK(out[i].rule == LOCUS_RULE_BEAT_DEFAULT);
                if (guard != SIZE_MAX && !guard_in) CHECK(out[i].rule == LOCUS_RULE_DEFAULT_EXCLUDED);
                if (guard == SIZE_MAX) CHECK(out[i].rule == LOCUS_RULE_BEST);
                m = out[i].model;
                CHECK(m < M && in[m]);
                CHECK_NEAR(cost[i * M + m], out[i].cost, 0.0); // shown as it is: NaN where it is unknown
                allowed += needs && out[i].cost != out[i].cost;
            }
            CHECK_GOT(none ? LOCUS_ERR_NO_CANDIDATE : LOCUS_OK, s);
            refused += (size_t)none;
            if (!s && N > 1) { // a budget that holds, over counted costs
                double lambda, mean;
                o.lambda = 0.0;
                s = locus_lambda_for_budget(pool, logits, N, 1.5e-6, &o, &lambda, &mean, &g_err);
                for (i = 0; i < N; i++) {
                    int known = 0;
                    for (m = 0; m < M; m++)
                        known |= available[i * M + m] && cost[i * M + m] <= (o.max_cost > 0.0 ? o.max_cost : 1.0);
                    no_cost |= !known;
                }
                if (!no_cost) CHECK(s == LOCUS_OK || s == LOCUS_ERR_BUDGET);
                if (s == LOCUS_OK && o.unpriced != LOCUS_UNPRICED_ALLOW) {
                    CHECK(mean <= 1.5e-6);
                    o.lambda = lambda;
                    o.unpriced = LOCUS_UNPRICED_REFUSE;
                    CHECK_STATUS(LOCUS_OK, locus_rank(pool, logits, N, &o, out, &g_err));
                    for (i = 0; i < N; i++) total += out[i].cost;
                    CHECK_NEAR(mean, total / (double)N, 1e-18);
                }
            }
            free(z), free(logits), free(cost), free(available), free(out);
            locus_pool_destroy(pool);
        }
        context("%s", "");
        CHECK(refused && allowed && guarded);
    }
    fixture_close(&f);
}

static void bad_costs_are_named(void)
{
    fixture f;
    if (fixture_make(&f, 5, 6, 2, 1, 2, 4, 0, 206)) {
        float *z = normals(3 * 6, 1.0, 207), logits[6] = {0.0f};
        double cost[6] = {0.0, 1.0, 2.0, 3.0, 4.0, -5.0}, lambda;
        locus_pool *pool = pool_of(f.net[0], z, 3);
        locus_choice out[2];
        locus_route_opts o;
        ZERO(o);
        o.query_cost = cost;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_rank(pool, logits, 2, &o, out, &g_err));
        CHECK_MESSAGE("query_cost[1, 2]");
        CHECK_STATUS(LOCUS_OK, locus_rank(pool, logits, 1, &o, out, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_lambda_for_budget(pool, logits, 2, 1.0, &o, &lambda, NULL, &g_err));
        cost[5] = HUGE_VAL;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_rank(pool, logits, 2, &o, out, &g_err));
        o.query_cost = NULL;
        o.cost = cost + 3;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_rank(pool, logits, 2, &o, out, &g_err));
        CHECK_MESSAGE("cost[2]");
        ZERO(o);
        o.unpriced = (locus_unpriced)3;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_rank(pool, logits, 2, &o, out, &g_err));
        ZERO(o);
        o.guard = (locus_guard_use)3;
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_rank(pool, logits, 2, &o, out, &g_err));
        cost[0] = cost[1] = cost[2] = NAN;
        ZERO(o);
        o.cost = cost;
        o.unpriced = LOCUS_UNPRICED_ALLOW; // allowed, but a budget of nothing known is none
        CHECK_STATUS(LOCUS_ERR_NO_CANDIDATE, locus_lambda_for_budget(pool, logits, 2, 1.0, &o, &lambda, NULL, &g_err));
        CHECK_MESSAGE("known cost");
        o.lambda = 3.0;
        CHECK_STATUS(LOCUS_OK, locus_rank(pool, logits, 2, &o, out, &g_err));
        CHECK_NEAR(NAN, out[0].cost, 0.0);
        locus_pool_destroy(pool);
        free(z);
    }
    fixture_close(&f);
}

static void prices_make_costs(void)
{
    locus_price prices[3] = {{3.0, 15.0, 0.0}, {0.5, 1.5, 0.001}, {NAN, 1.0, 0.0}};
    double input[2] = {1000.0, 12.25}, output[6] = {200.0, 10.0, 0.0, 4.0, 5.0, 6.0}, cost[6], many[24];
    locus_tokens t;
    size_t i, m;
    ZERO(t);
    t.input = input;
    t.output = output;
    CHECK_STATUS(LOCUS_OK, locus_price_costs(prices, 3, &t, 2, cost, &g_err)); // 200 tokens each
    CHECK_NEAR(0.006, cost[0], 1e-18);
    CHECK_NEAR(0.0018, cost[1], 1e-18);
    CHECK_NEAR(NAN, cost[2], 0.0); // unknown, not free
    CHECK_NEAR((12.25 * 3.0 + 200.0 * 15.0) / 1e6, cost[3], 1e-18);
    for (i = 0; i < 3; i++) { // by query, by model, by both
        t.query_stride = i == 0 ? 1 : i == 1 ? 0 : 3;
        t.model_stride = i > 0;
        CHECK_STATUS(LOCUS_OK, locus_price_costs(prices, 3, &t, 2, many, &g_err));
        for (m = 0; m < 2; m++)
            CHECK_NEAR((input[1] * prices[m].input + output[i == 0   ? 1
                                                            : i == 1 ? m
                                                                     : 3 + m] *
                                                         prices[m].output) /
                               1e6 +
                           prices[m].query,
                       many[3 + m], 1e-18);
    }
    input[1] = NAN;
    CHECK_STATUS(LOCUS_OK, locus_price_costs(prices, 3, &t, 2, cost, &g_err));
    CHECK_NEAR(NAN, cost[3], 0.0);
    input[1] = -1.0;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_price_costs(prices, 3, &t, 2, cost, &g_err));
    CHECK_MESSAGE("input[1]");
    input[1] = 1.0;
    output[4] = HUGE_VAL;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_price_costs(prices, 3, &t, 2, cost, &g_err));
    CHECK_MESSAGE("query 1, model 1");
    output[4] = 1.0;
    prices[1].output = -1.0;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_price_costs(prices, 3, &t, 2, cost, &g_err));
    CHECK_MESSAGE("prices[1].output");
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_price_costs(NULL, 3, &t, 2, cost, &g_err));
    t.input = NULL;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_price_costs(prices, 3, &t, 2, cost, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_price_costs(prices, 1, &t, 0, cost, &g_err));

    CHECK_NEAR(0.0, locus_count_tokens(NULL, 0), 0.0);
    CHECK_NEAR(3.0, locus_count_tokens("twelve chars", 12), 0.0);
    CHECK_NEAR(1.0, locus_count_tokens("\xc3\xbc\xc3\xa9\xd0\xb6\xd7\x90", 8), 0.0);     // four code points
    CHECK_NEAR(3.0, locus_count_tokens("\xe6\xb3\x95\xe5\xbe\x8b\xed\x95\x9c", 9), 0.0); // CJK: three tokens
    CHECK_NEAR(1.25, locus_count_tokens("\xe3\x81\x82!", 4), 0.0);                       // kana and a sign
    CHECK_NEAR(1.0, locus_count_tokens("\xf0\xa0\x80\x80", 4), 0.0);                     // CJK beyond the plane
    CHECK_NEAR(0.25, locus_count_tokens("\xf0\x9f\xa4\x96", 4), 0.0);                    // a robot is one character
    CHECK_NEAR(0.75, locus_count_tokens("\xff\xe6\xb3", 3), 0.0);                        // no UTF-8: three bytes
}

// Two queries by hand: a hole, a graded score, choices, leaders.
static void metrics_among_the_scored(void)
{
    // models 0, 1, 2; queries 0, 1, 2, 3
    const float y[12] = {NAN, 0.2f, 1.0f, NAN, 1.0f, NAN, 0.0f, NAN, 0.0f, 0.75f, NAN, NAN};
    const float logits[12] = {3.0f, 1.0f, 2.0f, 1.0f, 2.0f, 0.5f, -1.0f, 1.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    const size_t leaders[3] = {2, 0, 1};
    const unsigned char only[3] = {1, 0, 1};
    unsigned char mask[12];
    locus_choice choices[4];
    locus_scores scores;
    locus_metrics_opts o;
    locus_metrics m;
    size_t i;
    ZERO(scores);
    ZERO(o);
    scores.models = 3;
    scores.count = 4;
    scores.f32 = y;
    o.among = LOCUS_AMONG_SCORED;
    o.leaders = leaders;
    o.leader_count = 3;
    CHECK_STATUS(LOCUS_OK, locus_metrics_compute(&m, logits, 4, &scores, &o, NULL, &g_err));
    // query 0: 1 and 2 are scored, 2 is likelier: wrong; query 1: 0 and 2, 0 is likelier: 0.2; query 2: 1: wrong
    CHECK_SIZE(3, m.queries);
    CHECK_SIZE(1, m.left_out);
    CHECK_SIZE(6, m.pairs);
    CHECK_NEAR(0.0, m.hit1, 1e-12);
    CHECK_NEAR(0.2 / 3.0, m.routing_score, 1e-7);
    CHECK_NEAR(2.0 / 3.0, m.best_single, 1e-12); // 2, 2, and in its place 0: wrong, right, right
    CHECK_NEAR((0.0 + 0.75 + 1.0) / 3.0, m.best_single_score, 1e-7);
    CHECK_NEAR((0.5 + 0.5 + 0.5) / 3.0, m.random_model, 1e-12);
    CHECK_NEAR((0.5 + 0.475 + 0.5) / 3.0, m.random_model_score, 1e-7);
    CHECK_NEAR(1.0, m.oracle, 1e-12);
    CHECK_NEAR((1.0 + 0.75 + 1.0) / 3.0, m.oracle_score, 1e-7);
    CHECK_NEAR(1.0, m.hit3, 1e-12);
    CHECK_SIZE(3, m.models_routed);
    o.among = LOCUS_AMONG_ALL; // the likeliest of query 0, 1, 3 have no score: a miss
    CHECK_STATUS(LOCUS_OK, locus_metrics_compute(&m, logits, 4, &scores, &o, NULL, &g_err));
    CHECK_SIZE(4, m.queries);
    CHECK_SIZE(0, m.left_out);
    CHECK_NEAR(0.0, m.routing_score, 1e-7);
    CHECK_NEAR(0.75 / 4.0, m.best_single_score, 1e-7);
    CHECK_NEAR((1.0 / 3.0 + 0.95 / 3.0 + 1.0 / 3.0) / 4.0, m.random_model_score, 1e-7);
    o.among = LOCUS_AMONG_SCORED;
    o.available = only; // without model 1
    CHECK_STATUS(LOCUS_OK, locus_metrics_compute(&m, logits, 4, &scores, &o, NULL, &g_err));
    CHECK_SIZE(3, m.queries);
    CHECK_NEAR((0.0 + 0.2 + 1.0) / 3.0, m.routing_score, 1e-7);
    CHECK_NEAR((0.0 + 0.75 + 1.0) / 3.0, m.oracle_score, 1e-7);
    o.available = NULL;
    memset(mask, 1, sizeof mask);
    mask[3 * 1 + 0] = mask[3 * 1 + 2] = 0; // nobody for query 1
    o.query_available = mask;
    CHECK_STATUS(LOCUS_OK, locus_metrics_compute(&m, logits, 4, &scores, &o, NULL, &g_err));
    CHECK_SIZE(2, m.queries);
    CHECK_SIZE(2, m.left_out);
    o.query_available = NULL;
    memset(choices, 0, sizeof choices);
    choices[0].model = 1, choices[1].model = 2, choices[2].model = 0;
    o.choices = choices; // what other rules chose
    CHECK_STATUS(LOCUS_OK, locus_metrics_compute(&m, logits, 4, &scores, &o, NULL, &g_err));
    CHECK_NEAR((1.0 + 0.75 + 1.0) / 3.0, m.routing_score, 1e-7);
    CHECK_NEAR(1.0, m.hit1, 1e-12);
    choices[1].model = 1; // which has no score there
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_metrics_compute(&m, logits, 4, &scores, &o, NULL, &g_err));
    CHECK_MESSAGE("choices[1]");
    choices[1].model = SIZE_MAX;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_metrics_compute(&m, logits, 4, &scores, &o, NULL, &g_err));
    o.choices = NULL;
    memset(&o.among, 1, sizeof o.among); // no such value
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_metrics_compute(&m, logits, 4, &scores, &o, NULL, &g_err));
    for (i = 0; i < 2; i++) { // no query at all: no figure, no crash
        o.among = LOCUS_AMONG_SCORED;
        CHECK_STATUS(LOCUS_OK, locus_metrics_compute(&m, logits, i ? 0 : 1, &scores, &o, NULL, &g_err));
        if (i) CHECK_NEAR(NAN, m.routing_score, 0.0);
    }
}

// ---------------------------------------------------------------------------------------------------- main

static const test_case tests[] = {
    TEST(names_of_statuses_and_isas),
    TEST(golden_tiny_is_reproduced),
    TEST(golden_paper_is_reproduced),
    TEST(random_nets_match_the_reference),
    TEST(sizes_around_internal_tiles_match_the_reference),
    TEST(widths_around_vector_lengths_match_the_reference),
    TEST(large_attention_scores_match_the_reference),
    TEST(tiny_and_huge_encodings_match_the_reference),
    TEST(encodings_of_very_different_length_match_the_reference),
    TEST(instruction_sets_agree_to_1e5_of_the_norm),
    TEST(every_tensor_matters_to_the_comparison),
    TEST(embeddings_are_bit_identical_in_every_way_of_asking_01),
    TEST(embeddings_are_bit_identical_in_every_way_of_asking_fractional),
    TEST(embeddings_are_bit_identical_in_every_way_of_asking_mixed),
    TEST(embeddings_are_bit_identical_in_every_way_of_asking_sab),
    TEST(absurd_attention_scores_are_survived),
    TEST(large_sets_are_bit_identical_in_every_order),
    TEST(hundreds_of_thousands_of_evaluations_match_the_reference),
    TEST(large_sums_do_not_overflow),
    TEST(repeated_evaluations_change_little),
#ifndef LOCUS_NO_THREADS
    TEST(one_net_serves_several_threads_at_a_time),
    TEST(thread_pool_runs_every_task_once),
#endif
    TEST(callers_own_parallel_for_is_used),
    TEST(encoder_rejects_bad_input),
    TEST(encoder_can_be_cancelled),
    TEST(streaming_memory_does_not_depend_on_n),
    TEST(sab_has_no_streaming_path),
    TEST(missing_and_surplus_tensors_are_named),
    TEST(wrong_shapes_are_named),
    TEST(metadata_is_checked),
    TEST(weights_that_are_not_finite_are_rejected),
    TEST(half_precision_weights_mean_their_rounded_values),
    TEST(weights_of_other_types_are_refused),
    TEST(nets_live_in_the_callers_memory),
    TEST(net_arguments_are_checked),
    TEST(hash_depends_on_every_weight_and_on_nothing_else),
    TEST(saved_weights_load_as_the_same_net),
    TEST(every_allocation_may_fail),
    TEST(pool_of_fixed_memory_does_not_grow),
    TEST(pool_rejects_bad_models),
    TEST(pools_take_what_they_hold),
    TEST(pool_changes_touch_no_other_model),
    TEST(saved_pools_come_back_whole),
    TEST(spoilt_pool_files_are_rejected),
    TEST(pool_names_in_files_are_checked),
    TEST(pools_do_not_serve_another_net_or_encoder),
    TEST(predictions_match_the_reference),
    TEST(predictions_are_bit_identical_in_every_batching),
    TEST(predictor_rejects_bad_input),
    TEST(logits_that_overflow_are_errors),
    TEST(logits_that_are_no_numbers_are_errors),
    TEST(impossible_counts_are_refused),
    TEST(probability_is_the_sigmoid),
    TEST(routing_matches_a_plain_sort),
    TEST(route_is_predict_and_rank),
    TEST(large_pools_and_batches_are_bit_identical),
    TEST(routing_arguments_are_checked),
    TEST(lambda_for_a_budget_is_the_smallest_that_meets_it),
    TEST(metrics_match_their_definitions),
    TEST(metrics_reject_bad_input),
    TEST(metrics_among_the_scored),
    TEST(guards_follow_their_model),
    TEST(costs_keep_every_bit_and_old_files_are_read),
    TEST(unknown_costs_are_never_free),
    TEST(bad_costs_are_named),
    TEST(prices_make_costs),
};

MAIN(tests)
