// SPDX-License-Identifier: MIT
// What the test programs share: counted checks, counted allocations that can be made to fail, weight files to be
// spoilt, ways to run in parallel, pools, the runner and main. Included once, by a file that defines TEST_FILE, its own
// name, and TEST_INSIDE if it calls what is private. It holds the library, with every allocation counted, unless
// LOCUSI_IMPLEMENTED is defined: then the library is linked (build/locus_test.o), and build/inside.h shows its insides.
#ifndef LOCUS_TEST_HARNESS_H
#define LOCUS_TEST_HARNESS_H

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "allocator.h"
#define LOCUS_IMPLEMENTATION
#if defined(TEST_INSIDE) && defined(LOCUSI_IMPLEMENTED)
#undef LOCUSI_IMPLEMENTED
#define LOCUSI_FN extern
#include "inside.h"
#else
#include "../locus.h"
#endif

#if defined(__GNUC__) || defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#endif

#include "reference.h"

// ---------------------------------------------------------------------------------------------------- harness

static const char *g_test = "";
static char g_context[160]; // what the running test is looking at, printed with a failure
static size_t g_failures;   // failing checks of the running test
static size_t g_checks;     // all checks so far
static int g_quick;
static uint64_t g_seed = 2026;
static locus_error g_err;

static long g_blocks;    // live blocks of the library
static size_t g_mallocs; // calls so far
static size_t g_fail_at; // 0: never; N: the N-th call from now on fails
static int g_fail_persistent;
static int g_failed_mallocs;

// What is freed is scribbled over, so that a use of it shows in every build; AddressSanitizer sees more by itself.
#if defined(__SANITIZE_ADDRESS__)
#define BLOCK_HEAD 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BLOCK_HEAD 0
#endif
#endif
#ifndef BLOCK_HEAD
#define BLOCK_HEAD 16
#endif

void *test_malloc(size_t bytes)
{
    unsigned char *p;
    __atomic_fetch_add(&g_mallocs, 1, __ATOMIC_RELAXED); // threads of a test allocate, too
    if (g_fail_at == 1) {                                // only where one thread works
        g_failed_mallocs++;
        if (!g_fail_persistent) g_fail_at = 0;
        return NULL;
    }
    if (g_fail_at) g_fail_at--;
    p = bytes < SIZE_MAX - BLOCK_HEAD ? (unsigned char *)malloc(bytes + BLOCK_HEAD + !bytes) : NULL;
    if (!p) return NULL;
    __atomic_fetch_add(&g_blocks, 1, __ATOMIC_RELAXED);
    if (BLOCK_HEAD) memcpy(p, &bytes, sizeof bytes);
    return p + BLOCK_HEAD;
}

void test_free(void *p)
{
    unsigned char *block = (unsigned char *)p;
    size_t bytes = 0;
    if (!p) return;
    __atomic_fetch_sub(&g_blocks, 1, __ATOMIC_RELAXED);
    block -= BLOCK_HEAD;
    if (BLOCK_HEAD) memcpy(&bytes, block, sizeof bytes);
    memset(p, 0xdd, bytes);
    free(block);
}

static void context(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(g_context, sizeof g_context, format, args);
    va_end(args);
}

static void failure(int line, const char *format, ...)
{
    va_list args;
    if (++g_failures > 8) return;
    printf("  FAIL %s (%s:%d)%s%s: ", g_test, TEST_FILE, line, g_context[0] ? " " : "", g_context);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
}

static int check_true(int line, int ok, const char *what)
{
    g_checks++;
    if (!ok) failure(line, "expected %s, found the contrary", what);
    return ok;
}

static int check_size(int line, const char *what, size_t expected, size_t found)
{
    g_checks++;
    if (expected != found) failure(line, "%s: expected %zu, found %zu", what, expected, found);
    return expected == found;
}

static int check_text(int line, const char *what, const char *expected, const char *found)
{
    g_checks++;
    if (!found) found = "(null)";
    if (strcmp(expected, found) != 0) failure(line, "%s: expected \"%s\", found \"%s\"", what, expected, found);
    return strcmp(expected, found) == 0;
}

static int check_near(int line, const char *what, double expected, double found, double tolerance)
{
    int ok = fabs(expected - found) <= tolerance || (expected != expected && found != found);
    g_checks++;
    if (!ok) failure(line, "%s: expected %.9g, found %.9g (tolerance %.3g)", what, expected, found, tolerance);
    return ok;
}

// Also checks what every failure promises: the status repeated, and one line that is not empty.
static int check_status(int line, const char *what, locus_status expected, locus_status found)
{
    g_checks++;
    if (found != LOCUS_OK && (g_err.status != found || !g_err.message[0] || strchr(g_err.message, '\n')))
        failure(line, "%s: returned %s, but the error struct says %s: \"%s\"", what, locus_status_name(found),
                locus_status_name(g_err.status), g_err.message);
    if (expected != found)
        failure(line, "%s: expected %s, found %s%s%s", what, locus_status_name(expected), locus_status_name(found),
                found ? ": " : "", found ? g_err.message : "");
    return expected == found;
}

static int check_one_of(int line, const char *what, locus_status a, locus_status b, locus_status found)
{
    if (found == b) a = b;
    return check_status(line, what, a, found);
}

static int check_message(int line, const char *part)
{
    g_checks++;
    if (!strstr(g_err.message, part))
        failure(line, "error message: expected one with \"%s\", found \"%s\"", part, g_err.message);
    return strstr(g_err.message, part) != NULL;
}

static int check_same(int line, const char *what, const float *expected, const float *found, size_t count)
{
    size_t i, differ = 0, first = count;
    g_checks++;
    for (i = 0; i < count; i++)
        if (memcmp(&expected[i], &found[i], sizeof(float)) != 0) {
            if (!differ) first = i;
            differ++;
        }
    if (differ)
        failure(line, "%s: expected identical bits, found %zu of %zu different; [%zu] expected %.9g, found %.9g", what,
                differ, count, first, (double)expected[first], (double)found[first]);
    return differ == 0;
}

static double worst(const double *expected, const float *found, size_t count, size_t *at)
{
    double top = 0.0;
    size_t i;
    *at = 0;
    for (i = 0; i < count; i++) {
        double e = fabs(expected[i] - (double)found[i]);
        if (!(e <= top)) { // also when e is NaN
            top = e == e ? e : HUGE_VAL;
            *at = i;
        }
    }
    return top;
}

static int check_close(int line, const char *what, const double *expected, const float *found, size_t count, double tol)
{
    size_t at;
    double e = worst(expected, found, count, &at);
    g_checks++;
    if (!(e <= tol))
        failure(line, "%s: [%zu] expected %.9g, found %.9g (error %.3g, tolerance %.3g)", what, at, expected[at],
                (double)found[at], e, tol);
    return e <= tol;
}

#define CHECK(condition) check_true(__LINE__, (condition) != 0, #condition)
#define CHECK_SIZE(expected, found) check_size(__LINE__, #found, expected, found)
#define CHECK_TEXT(expected, found) check_text(__LINE__, #found, expected, found)
#define CHECK_NEAR(expected, found, tol) check_near(__LINE__, #found, expected, found, tol)
#define CHECK_STATUS(expected, call) check_status(__LINE__, #call, expected, (g_err.message[0] = 0, call))
// The same for a status from before, whose message is in g_err.
#define CHECK_GOT(expected, status) check_status(__LINE__, #status, expected, status)
#define CHECK_ONE_OF(a, b, call) check_one_of(__LINE__, #call, a, b, (g_err.message[0] = 0, call))
#define CHECK_MESSAGE(part) check_message(__LINE__, part)
#define CHECK_SAME(what, expected, found, count) check_same(__LINE__, what, expected, found, count)
#define CHECK_CLOSE(what, expected, found, count, tol) check_close(__LINE__, what, expected, found, count, tol)
#define ZERO(object) memset(&(object), 0, sizeof(object))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void *xmalloc(size_t bytes)
{
    void *p = malloc(bytes ? bytes : 1);
    if (!p) {
        fprintf(stderr, "the test ran out of memory\n");
        exit(2);
    }
    return p;
}

static float *floats(size_t count) { return (float *)xmalloc(count * sizeof(float)); }

static size_t trials(size_t normal)
{
    size_t quick = (normal + 7) / 8;
    return g_quick ? quick : normal;
}

static float f_nan(void) { return (float)NAN; }

static float f_inf(void) { return (float)INFINITY; }

static const char *temp_path(const char *name)
{
    static char path[4][512];
    static unsigned turn;
    static unsigned long mark;
    const char *folder = getenv("LOCUS_TEST_TMP");
    if (!mark) {
        void *p = xmalloc(1);
        mark = (unsigned long)time(NULL) * 31u + (unsigned long)((uintptr_t)p >> 4) + (unsigned long)clock();
        free(p);
    }
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/locus-test-%lx-%s", folder ? folder : "/tmp", mark, name);
    return path[turn];
}

// ---------------------------------------------------------------------------------------------------- weight files

// A safetensors file as lists, to be spoilt in all ways; written by a serializer of our own.
typedef struct raw_tensor {
    char name[96], dtype[8];
    size_t rank, shape[4], bytes;
    unsigned char *data;
} raw_tensor;

typedef struct raw_file {
    raw_tensor t[REF_MAX_TENSORS + 8];
    size_t count;
    char key[16][48], value[16][96];
    size_t metas;
} raw_file;

static raw_tensor *raw_find(raw_file *f, const char *name)
{
    size_t i;
    for (i = 0; i < f->count; i++)
        if (strcmp(f->t[i].name, name) == 0) return &f->t[i];
    fprintf(stderr, "test file has no tensor %s\n", name);
    exit(2);
}

static raw_tensor *raw_add(raw_file *f, const char *name, const char *dtype, size_t rank, const size_t *shape,
                           size_t bytes)
{
    raw_tensor *t = &f->t[f->count++];
    size_t i;
    ZERO(*t);
    snprintf(t->name, sizeof t->name, "%s", name);
    snprintf(t->dtype, sizeof t->dtype, "%s", dtype);
    t->rank = rank;
    for (i = 0; i < rank; i++) t->shape[i] = shape[i];
    t->bytes = bytes;
    t->data = (unsigned char *)xmalloc(bytes);
    memset(t->data, 0, bytes);
    return t;
}

static void raw_drop(raw_file *f, size_t index)
{
    free(f->t[index].data);
    memmove(&f->t[index], &f->t[index + 1], (f->count - index - 1) * sizeof f->t[0]);
    f->count--;
}

static void raw_meta(raw_file *f, const char *key, const char *value) // NULL: remove
{
    size_t i;
    for (i = 0; i < f->metas && strcmp(f->key[i], key) != 0; i++) continue;
    if (!value) {
        if (i == f->metas) return;
        f->metas--;
        memmove(f->key[i], f->key[i + 1], (f->metas - i) * sizeof f->key[0]);
        memmove(f->value[i], f->value[i + 1], (f->metas - i) * sizeof f->value[0]);
        return;
    }
    if (i == f->metas) f->metas++;
    snprintf(f->key[i], sizeof f->key[i], "%s", key);
    snprintf(f->value[i], sizeof f->value[i], "%s", value);
}

static void put_f32(unsigned char *p, float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    p[0] = (unsigned char)(u & 255u);
    p[1] = (unsigned char)((u >> 8) & 255u);
    p[2] = (unsigned char)((u >> 16) & 255u);
    p[3] = (unsigned char)((u >> 24) & 255u);
}

static void raw_free(raw_file *f)
{
    while (f->count) raw_drop(f, f->count - 1);
    free(f);
}

static void raw_number(raw_file *f, const char *key, size_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%zu", value);
    raw_meta(f, key, text);
}

static raw_file *raw_from_net(const ref_net *net)
{
    raw_file *f = (raw_file *)xmalloc(sizeof *f);
    size_t i, j;
    ZERO(*f);
    for (i = 0; i < net->count; i++) {
        const ref_tensor *t = &net->t[i];
        raw_tensor *r = raw_add(f, t->name, "F32", t->rank, t->shape, t->count * 4);
        for (j = 0; j < t->count; j++) put_f32(r->data + 4 * j, (float)t->v[j]);
    }
    raw_number(f, "q_dim", net->D);
    raw_number(f, "z_dim", net->d);
    raw_number(f, "n_heads", net->heads);
    raw_number(f, "n_layers", net->layers);
    raw_number(f, "m_induce", net->r);
    raw_number(f, "decoder_hidden", net->hidden);
    raw_meta(f, "encoder_kind", net->sab ? "sab" : "isab");
    return f;
}

// The bytes of the file: 8 bytes of header length, JSON, data in the order of the list.
static unsigned char *raw_bytes(const raw_file *f, size_t *bytes)
{
    size_t room = 1024 + f->count * 256 + f->metas * 256, used = 0, data = 0, i, j;
    char *json = (char *)xmalloc(room);
    unsigned char *out;
    used += (size_t)snprintf(json + used, room - used, "{\"__metadata__\":{");
    for (i = 0; i < f->metas; i++)
        used += (size_t)snprintf(json + used, room - used, "%s\"%s\":\"%s\"", i ? "," : "", f->key[i], f->value[i]);
    used += (size_t)snprintf(json + used, room - used, "}");
    for (i = 0; i < f->count; i++) {
        const raw_tensor *t = &f->t[i];
        used += (size_t)snprintf(json + used, room - used, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", t->name, t->dtype);
        for (j = 0; j < t->rank; j++)
            used += (size_t)snprintf(json + used, room - used, "%s%zu", j ? "," : "", t->shape[j]);
        used += (size_t)snprintf(json + used, room - used, "],\"data_offsets\":[%zu,%zu]}", data, data + t->bytes);
        data += t->bytes;
    }
    used += (size_t)snprintf(json + used, room - used, "}");
    *bytes = 8 + used + data;
    out = (unsigned char *)xmalloc(*bytes);
    for (i = 0; i < 8; i++) out[i] = (unsigned char)(((uint64_t)used >> (8 * i)) & 255u);
    memcpy(out + 8, json, used);
    for (i = 0, data = 8 + used; i < f->count; i++) {
        memcpy(out + data, f->t[i].data, f->t[i].bytes);
        data += f->t[i].bytes;
    }
    free(json);
    return out;
}

static raw_file *raw_from_st(const locus_safetensors *st)
{
    raw_file *f = (raw_file *)xmalloc(sizeof *f);
    size_t i;
    ZERO(*f);
    for (i = 0; i < st->tensor_count && i < REF_MAX_TENSORS; i++) {
        const locus_tensor *t = &st->tensors[i];
        raw_tensor *r = raw_add(f, t->name, t->dtype_name, t->rank, t->shape, t->bytes);
        memcpy(r->data, t->data, t->bytes);
    }
    for (i = 0; i < st->metadata_count && i < COUNT(f->key); i++)
        raw_meta(f, st->metadata[i].key, st->metadata[i].value);
    return f;
}

// Builds a net from the lists; the file is closed again, as the contract allows.
static locus_status raw_create(const raw_file *f, const locus_run *run, locus_net **out)
{
    size_t bytes;
    unsigned char *data = raw_bytes(f, &bytes);
    locus_safetensors st;
    locus_status s = locus_safetensors_parse(&st, data, bytes, NULL, &g_err);
    *out = NULL;
    if (s == LOCUS_OK) {
        s = locus_net_create(out, &st, run, &g_err);
        locus_safetensors_close(&st);
    } else {
        failure(__LINE__, "the test's own file does not parse: %s", g_err.message);
    }
    free(data);
    return s;
}

// ---------------------------------------------------------------------------------------------------- the library

// Memory for a call to work in: at every alignment in turn, between guards. Rooms may be open within each other.
static struct {
    unsigned char *block;
    size_t at, bytes, mallocs;
} g_room[4];
static size_t g_rooms;
static locus_run g_run; // of CHECK_MEMORY, or what a file of tests runs with; all zero at each test

enum { GUARD = 128 };

static void room_open(locus_run *run, size_t bytes)
{
    static size_t turn;
    const size_t all = bytes + 2 * GUARD;
    unsigned char *block = (unsigned char *)xmalloc(all);
    memset(block, 0xA5, all);
    g_room[g_rooms].block = block;
    g_room[g_rooms].at = GUARD - turn++ % 64;
    g_room[g_rooms].bytes = bytes;
    g_room[g_rooms].mallocs = g_mallocs;
    run->memory = block + g_room[g_rooms++].at;
    run->memory_bytes = bytes;
}

// Nothing was written beside it.
static void room_close(int line, locus_run *run)
{
    const unsigned char *block = g_room[--g_rooms].block;
    const size_t at = g_room[g_rooms].at, bytes = g_room[g_rooms].bytes;
    size_t i, spoilt = 0;
    for (i = 0; i < at; i++) spoilt += block[i] != 0xA5;
    for (i = at + bytes; i < bytes + 2 * GUARD; i++) spoilt += block[i] != 0xA5;
    check_size(line, "bytes written beside run->memory", 0, spoilt);
    free(g_room[g_rooms].block);
    run->memory = NULL;
    run->memory_bytes = 0;
}

// A call in as much memory as it says that it needs; it allocates nothing. (Some say more at each try.)
//     room_open(&run, 1);
//     do s = locus_x(..., &run, &g_err);
//     while (room_again(__LINE__, &run, s)); // closes the room in the end
static int room_again(int line, locus_run *run, locus_status s)
{
    const size_t had = run->memory_bytes;
    check_size(line, "allocations in spite of run->memory", g_room[g_rooms - 1].mallocs, g_mallocs);
    room_close(line, run);
    if (s != LOCUS_ERR_MEMORY || !check_true(line, g_err.bytes > had, "more bytes to be asked for")) return 0;
    room_open(run, g_err.bytes);
    return 1;
}

// A call says how much memory it needs; in that much, and in more, it does what it should, in two lines of the cache
// less it refuses. The last room is left open: what was made may stand in it.
#define CHECK_ROOM(run, expected, call)                                                                                \
    do {                                                                                                               \
        locus_status status_;                                                                                          \
        size_t needed_;                                                                                                \
        room_open(run, 1);                                                                                             \
        do {                                                                                                           \
            needed_ = (run)->memory_bytes;                                                                             \
            status_ = (call);                                                                                          \
        } while (room_again(__LINE__, run, status_));                                                                  \
        check_status(__LINE__, #call, expected, status_);                                                              \
        CHECK(needed_ > 1);                                                                                            \
        room_open(run, needed_ > 130 ? needed_ - 129 : 1);                                                             \
        CHECK_STATUS(LOCUS_ERR_MEMORY, call);                                                                          \
        room_close(__LINE__, run);                                                                                     \
        room_open(run, needed_ + 129);                                                                                 \
        CHECK_STATUS(expected, call);                                                                                  \
        CHECK_SIZE(g_room[g_rooms - 1].mallocs, g_mallocs);                                                            \
    } while (0)

// The same for a call with &g_run of which nothing is left.
#define CHECK_MEMORY(call)                                                                                             \
    do {                                                                                                               \
        CHECK_ROOM(&g_run, LOCUS_OK, call);                                                                            \
        room_close(__LINE__, &g_run);                                                                                  \
    } while (0)

static locus_status predict(const locus_pool *pool, const locus_queries *q, float *logits,
                            const locus_parallel *parallel)
{
    locus_run run;
    locus_status s;
    ZERO(run);
    run.parallel = parallel;
    room_open(&run, 1);
    do s = locus_predict(pool, q, logits, &run, &g_err);
    while (room_again(__LINE__, &run, s));
    return s;
}

// Tasks in reverse order on the calling thread.
static void run_backwards(void *user, void (*task)(void *arg, size_t index), void *arg, size_t count)
{
    *(size_t *)user += count;
    while (count--) task(arg, count);
}

static const size_t thread_counts[] = {1, 2, 3, 7};
#define THREAD_KINDS 5 // NULL, then thread pools of those sizes without the first
#ifndef LOCUS_NO_THREADS
static const locus_parallel *g_threads[COUNT(thread_counts)];
#endif
static size_t g_backward_tasks;
static locus_parallel g_backwards = {4, run_backwards, &g_backward_tasks};

// kind 0: none; 1 to 3: pools of 2, 3, 7 threads; 4: backwards
static const locus_parallel *parallel_of(size_t kind)
{
    if (kind == 0) return NULL;
#ifndef LOCUS_NO_THREADS
    if (kind < 4) {
        if (!g_threads[kind] && locus_threads_create(&g_threads[kind], thread_counts[kind], NULL) != LOCUS_OK)
            return NULL;
        return g_threads[kind];
    }
#endif
    return &g_backwards;
}

// The same as a locus_run.
static const locus_run *run_on(size_t kind)
{
    static locus_run run;
    ZERO(run);
    run.parallel = parallel_of(kind);
    return &run;
}

static void threads_stop(void)
{
#ifndef LOCUS_NO_THREADS
    size_t i;
    for (i = 0; i < COUNT(thread_counts); i++) {
        locus_threads_destroy(g_threads[i]);
        g_threads[i] = NULL;
    }
#endif
}
static locus_model model_named(const char *name, double cost)
{
    locus_model m;
    ZERO(m);
    snprintf(m.name, sizeof m.name, "%s", name);
    m.parameters_b = 7.5f;
    m.cost = cost;
    m.available = 1;
    m.evaluations = 123;
    return m;
}

// A pool of M models "m0", "m1", ... with these embeddings.
static locus_pool *pool_of(const locus_net *net, const float *z, size_t M)
{
    locus_pool *pool = NULL;
    size_t d = locus_net_get_info(net).z_dim, m;
    if (!CHECK_STATUS(LOCUS_OK, locus_pool_create(&pool, net, M, NULL, NULL, &g_err))) return NULL;
    for (m = 0; m < M; m++) {
        char name[32];
        locus_model model;
        size_t at = 99999;
        snprintf(name, sizeof name, "m%zu", m);
        model = model_named(name, (double)m);
        CHECK_STATUS(LOCUS_OK, locus_pool_add(pool, &model, z + m * d, &at, &g_err));
        CHECK_SIZE(m, at);
    }
    return pool;
}

static locus_queries queries_of(const float *q, size_t count, size_t dim)
{
    locus_queries r;
    ZERO(r);
    r.encodings = q;
    r.count = count;
    r.dim = dim;
    return r;
}

static float *normals(size_t count, double scale, uint64_t seed)
{
    ref_rng g;
    size_t i;
    float *p = floats(count);
    g.state = seed * 101 + 3 + g_seed;
    for (i = 0; i < count; i++) p[i] = (float)(scale * ref_normal(&g));
    return p;
}

// Halves of locus_pool_learn.
static locus_status learn_recall(locus_pool *pool, const locus_evals *evals, const locus_learn_opts *opts,
                                 locus_error *err)
{
    locus_learn_opts o;
    ZERO(o);
    if (opts) o = *opts;
    o.no_guard = 1;
    return locus_pool_learn(pool, evals, &o, NULL, err);
}

static locus_status learn_guard(locus_pool *pool, const locus_evals *evals, const locus_queries *unlabelled,
                                const locus_parallel *parallel, locus_error *err)
{
    locus_learn_opts o;
    locus_run run;
    ZERO(o);
    ZERO(run);
    o.no_recall = 1;
    if (unlabelled) o.unlabelled = *unlabelled;
    run.parallel = parallel;
    return locus_pool_learn(pool, evals, &o, &run, err);
}

// ---------------------------------------------------------------------------------------------------- the runner

typedef struct test_case {
    const char *name;
    void (*run)(void);
} test_case;

#define TEST(name)                                                                                                     \
    {                                                                                                                  \
#name, name                                                                                                    \
    }
#define MAIN(tests)                                                                                                    \
    int main(int argc, char **argv) { return run_tests(tests, COUNT(tests), argc > 1 ? argv[1] : ""); }

static ref_rng g_rng; // as it was at every test's start

// Those whose names have `part` in them. LOCUS_TEST_QUICK=1: fewer and smaller cases; LOCUS_TEST_SEED: other ones.
static int run_tests(const test_case *tests, size_t count, const char *part)
{
    const char *quick = getenv("LOCUS_TEST_QUICK"), *seed = getenv("LOCUS_TEST_SEED");
    size_t i, passed = 0, failed = 0;
    int isa;
    g_quick = quick && quick[0] && quick[0] != '0';
    if (seed) g_seed = (uint64_t)strtoul(seed, NULL, 10);
    printf("locus.h %s, seed %lu%s, instruction sets:", locus_version(), (unsigned long)g_seed,
           g_quick ? ", quick" : "");
    for (isa = 1; isa < LOCUS_ISA_COUNT; isa++)
        if (locus_isa_supported((locus_isa)isa)) printf(" %s", locus_isa_name((locus_isa)isa));
    printf("\n");
    fflush(stdout);
    for (i = 0; i < count; i++) {
        const clock_t start = clock();
        const long blocks = g_blocks;
        if (!strstr(tests[i].name, part)) continue;
        g_test = tests[i].name;
        g_context[0] = 0;
        g_failures = 0;
        g_rng.state = 77 + i + (g_seed - 2026);
        ZERO(g_run);
        tests[i].run();
        threads_stop();
        g_context[0] = 0;
        if (g_blocks != blocks)
            failure(__LINE__, "expected all memory released, found %ld blocks left", g_blocks - blocks);
        if (g_failures > 8) printf("  ... %zu checks failed in %s\n", g_failures, g_test);
        printf("%s %s (%.2f s)\n", g_failures ? "FAIL" : "ok  ", g_test, (double)(clock() - start) / CLOCKS_PER_SEC);
        fflush(stdout);
        if (g_failures) failed++;
        else passed++;
    }
    printf("%zu checks\n%zu passed, %zu failed\n", g_checks, passed, failed);
    return failed || !passed ? 1 : 0;
}

#if defined(__GNUC__) || defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif
