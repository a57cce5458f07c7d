// SPDX-License-Identifier: MIT
// A helper of the tests: compare, make and convert .npy arrays. It needs neither Python nor numpy.
//
//     cc -O1 -DLOCUS_NO_SIMD -DLOCUS_NO_THREADS tests/npydiff.c -o build/npydiff -lm
//
//     npydiff A.npy B.npy TOLERANCE [sigmoid]      same shape, |A - B| <= TOLERANCE everywhere (sigmoid: |A - s(B)|)
//     npydiff make OUT.npy DTYPE SHAPE VALUE...     e.g. make y.npy u1 2,3 1 0 255 1 1 0; the values repeat
//     npydiff rows IN.npy OUT.npy PART.npy NUMBER    the rows whose part (u1) is that number, as f4
//     npydiff weights A.safetensors B.safetensors TOLERANCE    the same tensors, |A - B| <= TOLERANCE everywhere
//     npydiff guard ROUTER.safetensors OUT.safetensors MODEL MARGIN    the same router file with this guard
//     npydiff convert IN.npy OUT.npy DTYPE [MASK.npy]  where the mask is 0: NaN, in u1 255
//
// Exit status: 0 the same or done, 1 different or failed.

#define LOCUS_IMPLEMENTATION
#include "../locus.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static locus_error err;

static int fail(const char *message)
{
    fprintf(stderr, "npydiff: %s\n", message);
    return 1;
}

static double element(const locus_array *a, size_t i)
{
    float v = NAN;
    if (a->dtype == LOCUS_F64) return ((const double *)a->data)[i];
    if (locus_array_to_f32(a, i, 1, &v, &err)) fail(err.message);
    return (double)v;
}

// Halves: only what the tests need.
static uint16_t to_half(double v) { return (uint16_t)(isnan(v) ? 0x7E00 : v >= 1.0 ? 0x3C00 : v >= 0.5 ? 0x3800 : 0); }

static int save(const char *path, const char *dtype, const size_t *shape, size_t rank, const double *v, size_t count)
{
    static const struct {
        const char *name;
        locus_dtype dtype;
    } known[] = {{"u1", LOCUS_U8},  {"b1", LOCUS_BOOL}, {"i4", LOCUS_I32}, {"i8", LOCUS_I64},
                 {"f2", LOCUS_F16}, {"f4", LOCUS_F32},  {"f8", LOCUS_F64}};
    locus_dtype type = LOCUS_DTYPE_OTHER;
    for (size_t k = 0; k < sizeof known / sizeof *known; ++k)
        if (strcmp(dtype, known[k].name) == 0) type = known[k].dtype;
    if (type == LOCUS_DTYPE_OTHER) return fail("unknown dtype");
    void *data = malloc(count * 8 + 8);
    if (!data) return fail("out of memory");
    for (size_t i = 0; i < count; ++i) {
        if (type == LOCUS_U8) ((unsigned char *)data)[i] = (unsigned char)(isnan(v[i]) ? 255 : v[i]);
        else if (type == LOCUS_BOOL) ((unsigned char *)data)[i] = v[i] > 0.0;
        else if (type == LOCUS_I32) ((int32_t *)data)[i] = (int32_t)v[i];
        else if (type == LOCUS_I64) ((int64_t *)data)[i] = (int64_t)v[i];
        else if (type == LOCUS_F16) ((uint16_t *)data)[i] = to_half(v[i]);
        else if (type == LOCUS_F32) ((float *)data)[i] = (float)v[i];
        else ((double *)data)[i] = v[i];
    }
    int failed = locus_npy_save(path, type, shape, rank, data, &err) != LOCUS_OK;
    free(data);
    return failed ? fail(err.message) : 0;
}

static int make(int argc, char **argv)
{
    size_t shape[8], rank = 0, count = 1;
    for (char *p = argv[4]; *p && rank < 8; p += *p == ',') {
        shape[rank] = strtoul(p, &p, 10);
        count *= shape[rank++];
    }
    double *v = (double *)calloc(count + 1, sizeof *v);
    if (!v) return fail("out of memory");
    for (size_t i = 0; i < count && argc > 5; ++i) v[i] = strtod(argv[5 + i % (size_t)(argc - 5)], NULL);
    int status = save(argv[2], argv[3], shape, rank, v, count);
    free(v);
    return status;
}

static int convert(int argc, char **argv)
{
    locus_array a, mask;
    memset(&mask, 0, sizeof mask);
    if (locus_npy_open(&a, argv[2], &err)) return fail(err.message);
    if (argc > 5 && locus_npy_open(&mask, argv[5], &err)) return fail(err.message);
    double *v = (double *)calloc(a.count + 1, sizeof *v);
    for (size_t i = 0; v && i < a.count; ++i)
        v[i] = argc > 5 && !((const unsigned char *)mask.data)[i] ? NAN : element(&a, i);
    int status = v ? save(argv[3], argv[4], a.shape, a.rank, v, a.count) : fail("out of memory");
    free(v);
    if (argc > 5) locus_array_close(&mask);
    locus_array_close(&a);
    return status;
}

static int rows(char **argv)
{
    locus_array a, part;
    size_t shape[2] = {0, 0};
    if (locus_npy_open(&a, argv[2], &err) || locus_npy_open(&part, argv[4], &err)) return fail(err.message);
    if (a.rank != 2 || part.count != a.shape[0] || part.dtype != LOCUS_U8) return fail("rows: the shapes differ");
    shape[1] = a.shape[1];
    float *v = (float *)calloc(a.count + 1, sizeof *v);
    int failed = v ? 0 : fail("out of memory");
    for (size_t i = 0; !failed && i < part.count; ++i)
        if (((const unsigned char *)part.data)[i] == strtoul(argv[5], NULL, 10) &&
            locus_array_to_f32(&a, i * shape[1], shape[1], v + shape[0]++ * shape[1], &err))
            failed = fail(err.message);
    if (!failed && locus_npy_save(argv[3], LOCUS_F32, shape, 2, v, &err)) failed = fail(err.message);
    free(v);
    locus_array_close(&part);
    locus_array_close(&a);
    return failed;
}

static int compare(int argc, char **argv)
{
    locus_array a, b;
    double worst = 0.0, tolerance = strtod(argv[3], NULL);
    size_t at = 0;
    if (locus_npy_open(&a, argv[1], &err) || locus_npy_open(&b, argv[2], &err)) return fail(err.message);
    int same = a.rank == b.rank;
    for (size_t i = 0; i < 8; ++i) same = same && a.shape[i] == b.shape[i];
    if (!same) return fail("the shapes differ");
    for (size_t i = 0; i < a.count; ++i) {
        double y = element(&b, i), d = fabs(element(&a, i) - (argc > 4 ? 1.0 / (1.0 + exp(-y)) : y));
        if (!isnan(worst) && !(d <= worst)) worst = d, at = i;
    }
    printf("%s: largest difference %.3g at %zu of %zu (tolerance %g)\n", argv[1], worst, at, a.count, tolerance);
    locus_array_close(&a);
    locus_array_close(&b);
    return !(worst <= tolerance);
}

static int weights(char **argv)
{
    locus_safetensors a, b;
    double worst = 0.0, tolerance = strtod(argv[4], NULL);
    const char *where = "";
    int status = 0;
    if (locus_safetensors_open(&a, argv[2], &err) || locus_safetensors_open(&b, argv[3], &err))
        return fail(err.message);
    if (a.tensor_count != b.tensor_count) return fail("the numbers of tensors differ");
    for (size_t i = 0; i < a.tensor_count && !status; ++i) {
        const locus_tensor *x = &a.tensors[i], *y = locus_safetensors_find(&b, x->name);
        if (!y || x->count != y->count) status = fail("the tensors differ");
        for (size_t k = 0; k < x->count && !status; ++k) {
            float u = NAN, v = NAN;
            if (locus_tensor_to_f32(x, k, 1, &u, &err) || locus_tensor_to_f32(y, k, 1, &v, &err))
                status = fail(err.message);
            double d = fabs((double)u - (double)v);
            if (!isnan(worst) && !(d <= worst)) worst = d, where = x->name;
        }
    }
    printf("%s: largest difference %.3g in %s (tolerance %g)\n", argv[2], worst, where, tolerance);
    if (!status) status = !(worst <= tolerance);
    locus_safetensors_close(&a);
    locus_safetensors_close(&b);
    return status;
}

// The guard is learned elsewhere; here it is only put into a file.
static int guard(char **argv)
{
    locus_safetensors st;
    locus_net *net = NULL;
    locus_pool *pool = NULL;
    int failed = locus_safetensors_open(&st, argv[2], &err) != LOCUS_OK;
    if (failed) return fail(err.message);
    failed = locus_net_create(&net, &st, NULL, &err) || locus_pool_load(&pool, net, &st, NULL, &err) ||
             locus_pool_set_guard(pool, strtoul(argv[4], NULL, 10), strtod(argv[5], NULL), &err) ||
             locus_pool_save(pool, argv[3], LOCUS_SAVE_ROUTER, &st, &err);
    locus_pool_destroy(pool);
    locus_net_destroy(net);
    locus_safetensors_close(&st);
    return failed ? fail(err.message) : 0;
}

int main(int argc, char **argv)
{
    if (argc >= 5 && strcmp(argv[1], "make") == 0) return make(argc, argv);
    if (argc == 6 && strcmp(argv[1], "rows") == 0) return rows(argv);
    if (argc == 6 && strcmp(argv[1], "guard") == 0) return guard(argv);
    if (argc >= 5 && strcmp(argv[1], "convert") == 0) return convert(argc, argv);
    if (argc == 5 && strcmp(argv[1], "weights") == 0) return weights(argv);
    if (argc >= 4) return compare(argc, argv);
    return fail("usage: A.npy B.npy TOLERANCE [sigmoid] | make OUT DTYPE SHAPE VALUE... | convert IN OUT DTYPE [MASK]");
}
