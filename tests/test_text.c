// SPDX-License-Identifier: MIT
// Tests of the text encoder: against a second implementation (text_vectors.py), hostile texts, the net that carries it,
// the learner, JSON lines.
//
//     cc -I. -O1 -g -fsanitize=address,undefined tests/test_text.c -o build/test_text -lm -lpthread && build/test_text
//
// Run from the root of the repository. LOCUS_TEST_TMP: for files (default /tmp). The real questions under
// ../shared/data/mmlu-pro are read and learned from too, where that folder exists.

#define TEST_FILE "test_text.c"
#define TEST_INSIDE
#include "harness.h"
#include "text_vectors.h"

static uint64_t g_random = 1;
static uint32_t random_u32(void)
{
    g_random = g_random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(g_random >> 33);
}

// ---------------------------------------------------------------------------------------------------- encoding

static uint16_t g_weights[TABLE_ROWS];
static signed char g_table[TABLE_ROWS * TABLE_DIM];

static locus_text table_encoder(void)
{
    locus_text t;
    size_t i, d;
    memset(&t, 0, sizeof t);
    for (i = 0; i < TABLE_ROWS; i++) {
        g_weights[i] = (uint16_t)(((uint64_t)i * 2654435761u >> 8) % 65536);
        for (d = 0; d < TABLE_DIM; d++)
            g_table[i * TABLE_DIM + d] = (signed char)((int)((i * 37 + d * 101 + i * d) % 255) - 127);
    }
    t.dim = TABLE_DIM;
    t.rows = TABLE_ROWS;
    t.keys = table_keys;
    t.weights = g_weights;
    t.table = g_table;
    return t;
}

static locus_text free_encoder(size_t dim)
{
    locus_text t;
    memset(&t, 0, sizeof t);
    t.dim = dim;
    return t;
}

static int is_unit(const float *x, size_t n)
{
    double squares = 0.0;
    size_t i;
    for (i = 0; i < n; i++) squares += (double)x[i] * (double)x[i];
    return fabs(squares - 1.0) < 1e-5;
}

static void encodes_as_the_second_implementation(void)
{
    const locus_text table = table_encoder(), hashed = free_encoder(FREE_DIM);
    size_t i, d;
    char name[LOCUS_TEXT_NAME_BYTES];
    for (i = 0; i < TEXTS; i++) {
        float x[TABLE_DIM + FREE_DIM];
        const char *const text = (const char *)texts[i].text;
        CHECK_STATUS(LOCUS_OK, locus_encode_text(&table, text, texts[i].bytes, x, NULL, &g_err));
        for (d = 0; d < TABLE_DIM; d++) CHECK(x[d] == (float)table_expected[i * TABLE_DIM + d] / 16777216.0f);
        CHECK(is_unit(x, TABLE_DIM));
        CHECK_STATUS(LOCUS_OK, locus_encode_text(&hashed, text, texts[i].bytes, x, NULL, &g_err));
        for (d = 0; d < FREE_DIM; d++) CHECK(x[d] == (float)free_expected[i * FREE_DIM + d] / 16777216.0f);
        CHECK(is_unit(x, FREE_DIM));
    }
    CHECK_STATUS(LOCUS_OK, locus_text_name(&table, name, &g_err));
    CHECK(!strcmp(name, table_name));
    CHECK_STATUS(LOCUS_OK, locus_text_name(&hashed, name, &g_err));
    CHECK(!strcmp(name, free_name));
    for (i = 0; i < LOCUSI_TEXT_PROBES; i++) CHECK(!strcmp(locusi_text_probes[i], (const char *)texts[i].text));
}

static void takes_any_bytes(void)
{
    const locus_text table = table_encoder(), hashed = free_encoder(64);
    float a[TABLE_DIM], b[TABLE_DIM], x[64], y[64];
    const size_t huge = 4u << 20;
    unsigned char *p;
    size_t i, n;
    for (i = 0; i < TEXTS; i++) // every prefix and suffix, in blocks of exactly their size
        for (n = 0; n <= texts[i].bytes && n < 400; n++) {
            p = (unsigned char *)malloc(n ? n : 1);
            if (!p) exit(2);
            if (n) memcpy(p, texts[i].text, n);
            CHECK(!locus_encode_text(&table, n ? (char *)p : NULL, n, a, NULL, &g_err) && is_unit(a, TABLE_DIM));
            if (n) memcpy(p, texts[i].text + texts[i].bytes - n, n);
            CHECK(!locus_encode_text(&hashed, (char *)p, n, x, NULL, &g_err) && is_unit(x, 64));
            free(p);
        }
    for (i = 0; i < 2000; i++) { // random bytes, of which many begin a sequence
        size_t k;
        n = random_u32() % 200;
        p = (unsigned char *)malloc(n ? n : 1);
        if (!p) exit(2);
        for (k = 0; k < n; k++) p[k] = (unsigned char)(random_u32() & (i % 2 ? 255u : 0xf4u));
        CHECK(!locus_encode_text(&hashed, (char *)p, n, x, NULL, NULL) && is_unit(x, 64));
        CHECK(!locus_encode_text(&hashed, (char *)p, n, y, NULL, NULL) && !memcmp(x, y, sizeof x));
        free(p);
    }
    p = (unsigned char *)malloc(huge);
    if (!p) exit(2);
    for (i = 0; i < huge; i++) p[i] = (unsigned char)random_u32();
    CHECK(!locus_encode_text(&hashed, (char *)p, huge, x, NULL, &g_err) && is_unit(x, 64));
    CHECK(!locus_encode_text(&table, (char *)p, huge, a, NULL, &g_err) && is_unit(a, TABLE_DIM));
    memset(p, 'a', huge); // one word
    CHECK(!locus_encode_text(&hashed, (char *)p, huge, x, NULL, &g_err) && is_unit(x, 64));
    memset(p, '5', huge);
    CHECK(!locus_encode_text(&table, (char *)p, huge, b, NULL, &g_err) && is_unit(b, TABLE_DIM));
    free(p);
    // NUL is a byte like others
    CHECK(!locus_encode_text(&hashed, "abc\0def", 7, x, NULL, NULL) &&
          !locus_encode_text(&hashed, "abc def", 7, y, NULL, NULL) && !memcmp(x, y, sizeof x));
    CHECK(!locus_encode_text(&hashed, "abc\0def", 3, y, NULL, NULL) && memcmp(x, y, sizeof x));
    // case and kind of space do not matter
    CHECK(!locus_encode_text(&hashed, "Abc DEF", 7, y, NULL, NULL) && !memcmp(x, y, sizeof x));
    CHECK(g_blocks == 0);
}

// In the memory that it is given it allocates nothing; of too little it says how much it takes.
static void works_in_given_memory(void)
{
    static unsigned char room[20000];
    const locus_text table = table_encoder(), hashed = free_encoder(64);
    float a[TABLE_DIM], x[64], y[64];
    locus_run run;
    const size_t calls = g_mallocs;
    memset(&run, 0, sizeof run);
    run.memory = room + 1;
    CHECK_STATUS(LOCUS_ERR_MEMORY, locus_encode_text(&hashed, "a text", 6, x, &run, &g_err));
    run.memory_bytes = g_err.bytes;
    CHECK(run.memory_bytes < sizeof room);
    CHECK_STATUS(LOCUS_OK, locus_encode_text(&hashed, "a text", 6, x, &run, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_encode_text(&table, "a text", 6, a, &run, &g_err));
    CHECK(g_mallocs == calls);
    CHECK_STATUS(LOCUS_OK, locus_encode_text(&hashed, "a text", 6, y, NULL, &g_err));
    CHECK(!memcmp(x, y, sizeof x) && g_mallocs > calls && g_blocks == 0);
    g_fail_at = 1;
    CHECK_STATUS(LOCUS_ERR_MEMORY, locus_encode_text(&hashed, "a text", 6, y, NULL, &g_err));
    g_fail_at = 0;
}

static void sums_do_not_overflow(void)
{
    enum { ROWS = 65536 };
    uint32_t *keys = (uint32_t *)malloc(ROWS * sizeof *keys);
    uint16_t *weights = (uint16_t *)malloc(ROWS * sizeof *weights);
    signed char *table = (signed char *)malloc((size_t)ROWS * 2);
    char *text = (char *)malloc(6 * 130000);
    float x[2], wide[LOCUS_TEXT_MAX_DIM];
    locus_text t = free_encoder(2);
    size_t i, n = 0, found = 0;
    if (!keys || !weights || !table || !text) exit(2);
    for (i = 0; i < 130000; i++) { // words that have rows: as many as there can be
        size_t v = i, k;
        for (k = 0; k < 4; k++, v /= 26) text[n++] = (char)('a' + v % 26);
        text[n++] = ' ';
    }
    for (i = 0; i < n && found < ROWS; i += 5) {
        uint64_t h = locusi_text_feed(locusi_text_basis, 'w');
        size_t k;
        for (k = 0; k < 4; k++) h = locusi_text_feed(h, (uint32_t)text[i + k]);
        keys[found++] = locusi_text_key(h);
    }
    qsort(keys, found, sizeof *keys, locusi_u32_order);
    for (i = 0; i < ROWS; i++) weights[i] = 65535, table[2 * i] = -128, table[2 * i + 1] = 127;
    t.rows = found;
    t.keys = keys;
    t.weights = weights;
    t.table = table;
    CHECK_STATUS(LOCUS_OK, locus_encode_text(&t, text, n, x, NULL, &g_err));
    CHECK(fabs((double)x[0] + 128.0 / sqrt(128.0 * 128.0 + 127.0 * 127.0)) < 1e-7 && is_unit(x, 2));
    t = free_encoder(LOCUS_TEXT_MAX_DIM);
    CHECK_STATUS(LOCUS_OK, locus_encode_text(&t, text, n, wide, NULL, &g_err));
    CHECK(is_unit(wide, LOCUS_TEXT_MAX_DIM));
    t = free_encoder(1);
    CHECK_STATUS(LOCUS_OK, locus_encode_text(&t, text, n, x, NULL, &g_err));
    CHECK(x[0] == 1.0f || x[0] == -1.0f);
    free(keys), free(weights), free(table), free(text);
}

static void refuses_bad_encoders(void)
{
    locus_text t = table_encoder();
    float x[TABLE_DIM];
    char name[LOCUS_TEXT_NAME_BYTES];
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_encode_text(NULL, "a", 1, x, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_encode_text(&t, NULL, 1, x, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_encode_text(&t, "a", 1, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_text_name(NULL, name, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_text_name(&t, NULL, &g_err));
    t.keys = NULL;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_encode_text(&t, "a", 1, x, NULL, &g_err));
    t = free_encoder(0);
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_encode_text(&t, "a", 1, x, NULL, &g_err));
    t.dim = LOCUS_TEXT_MAX_DIM + 1;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_encode_text(&t, "a", 1, x, NULL, &g_err));
    CHECK_MESSAGE("1 to 1024");
    t = table_encoder();
    t.rows = LOCUS_TEXT_MAX_ROWS + 1;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_encode_text(&t, "a", 1, x, NULL, &g_err));
}

// ---------------------------------------------------------------------------------------------- in the net's file

typedef struct net_parts {
    locus_tensor tensors[16];
    size_t tensor_count;
    locus_metadata metadata[8];
    size_t metadata_count;
    float numbers[4 * 64];
    unsigned char scratch[6 * TABLE_ROWS];
} net_parts;

static void net_add(net_parts *p, const char *name, size_t rank, size_t a, size_t b)
{
    locus_tensor *t = &p->tensors[p->tensor_count++];
    memset(t, 0, sizeof *t);
    t->name = name;
    t->dtype = LOCUS_F32;
    t->rank = rank;
    t->shape[0] = a;
    t->shape[1] = b;
    t->data = p->numbers;
}

static void net_meta(net_parts *p, const char *key, const char *value)
{
    p->metadata[p->metadata_count].key = key;
    p->metadata[p->metadata_count++].value = value;
}

static void net_start(net_parts *p, size_t dim)
{
    size_t i;
    memset(p, 0, sizeof *p);
    for (i = 0; i < 4 * 64; i++) p->numbers[i] = (float)(i % 13) * 0.1f - 0.5f;
    net_add(p, "decoder.U.weight", 2, 4, dim);
    net_add(p, "decoder.U.bias", 1, 4, 1);
    net_add(p, "decoder.mlp_head.0.weight", 2, 4, 12);
    net_add(p, "decoder.mlp_head.0.bias", 1, 4, 1);
    net_add(p, "decoder.mlp_head.2.weight", 2, 1, 4);
    net_add(p, "decoder.mlp_head.2.bias", 1, 1, 1);
}

static void net_text(net_parts *p, const locus_text *t)
{
    p->tensor_count += locusi_text_tensors(t, p->tensors + p->tensor_count, p->scratch);
}

static locus_status net_open(const net_parts *p, locus_net **net)
{
    const char *path = temp_path("locus_test_text.safetensors");
    locus_status status;
    *net = NULL;
    if (!CHECK_STATUS(LOCUS_OK, locus_safetensors_save(path, p->tensors, p->tensor_count, p->metadata,
                                                       p->metadata_count, &g_err)))
        return LOCUS_ERR_IO;
    status = locus_net_open(net, path, NULL, &g_err);
    remove(path);
    return status;
}

static void net_carries_its_encoder(void)
{
    const locus_text table = table_encoder(), hashed = free_encoder(FREE_DIM);
    net_parts p;
    locus_net *net, *plain;
    locus_run run;
    locus_safetensors st;
    locus_pool *pool;
    locus_model model;
    float x[FREE_DIM], y[FREE_DIM], z[4] = {0.1f, 0.2f, 0.3f, 0.4f};
    char path[700];
    net_start(&p, TABLE_DIM);
    CHECK_STATUS(LOCUS_OK, net_open(&p, &plain));
    CHECK(locus_net_get_info(plain).text == NULL);
    net_text(&p, &table);
    net_meta(&p, "query_encoder", table_name);
    net_meta(&p, "query_encoder_dim", "20");
    CHECK_STATUS(LOCUS_OK, net_open(&p, &net));
    CHECK(locus_net_get_info(net).hash == locus_net_get_info(plain).hash); // pools stay bound as before
    CHECK(locus_net_get_info(net).parameters == locus_net_get_info(plain).parameters);
    CHECK(!strcmp(locus_net_get_info(net).query_encoder, table_name));
    CHECK(locus_net_get_info(net).text && locus_net_get_info(net).text->rows == TABLE_ROWS &&
          locus_net_get_info(net).text->dim == TABLE_DIM);
    CHECK(!locus_encode_text(&table, "The cat", 7, x, NULL, NULL) &&
          !locus_encode_text(locus_net_get_info(net).text, "The cat", 7, y, NULL, NULL) &&
          !memcmp(x, y, sizeof(float) * TABLE_DIM));
    // a pool for another encoder is refused; a router file keeps the table
    CHECK_STATUS(LOCUS_ERR_MISMATCH, locus_pool_create(&pool, net, 1, free_name, NULL, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_pool_create(&pool, net, 1, NULL, NULL, &g_err));
    memset(&model, 0, sizeof model);
    strcpy(model.name, "m");
    model.available = 1;
    CHECK_STATUS(LOCUS_OK, locus_pool_add(pool, &model, z, NULL, &g_err));
    strcpy(path, temp_path("locus_test_text_net.safetensors"));
    CHECK_STATUS(LOCUS_OK,
                 locus_safetensors_save(path, p.tensors, p.tensor_count, p.metadata, p.metadata_count, &g_err));
    CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err));
    locus_net_destroy(plain);
    memset(&run, 0, sizeof run);
    run.memory = &run;
    CHECK_STATUS(LOCUS_ERR_MEMORY, locus_net_create(&plain, &st, &run, &g_err));
    run.memory_bytes = g_err.bytes;
    run.memory = malloc(run.memory_bytes);
    CHECK_STATUS(LOCUS_OK, locus_net_create(&plain, &st, &run, &g_err));
    CHECK(!locus_encode_text(locus_net_get_info(plain).text, "The cat", 7, y, NULL, NULL) &&
          !memcmp(x, y, sizeof(float) * TABLE_DIM));
    locus_net_destroy(plain);
    free(run.memory);
    {
        char router[700];
        strcpy(router, temp_path("locus_test_text_router.safetensors"));
        CHECK_STATUS(LOCUS_OK, locus_pool_save(pool, router, LOCUS_SAVE_ROUTER, &st, &g_err));
        CHECK_STATUS(LOCUS_OK, locus_net_open(&plain, router, NULL, &g_err));
        CHECK(!locus_encode_text(locus_net_get_info(plain).text, "The cat", 7, y, NULL, NULL) &&
              !memcmp(x, y, sizeof(float) * TABLE_DIM));
        locus_pool_destroy(pool);
        CHECK_STATUS(LOCUS_OK, locus_pool_open(&pool, plain, router, NULL, &g_err));
        CHECK(!strcmp(locus_pool_get_info(pool).query_encoder, table_name));
        locus_pool_destroy(pool);
        locus_net_destroy(plain);
        remove(router);
    }
    locus_safetensors_close(&st);
    remove(path);
    locus_net_destroy(net);
    // table-free: the name is all
    net_start(&p, FREE_DIM);
    net_meta(&p, "query_encoder", free_name);
    CHECK_STATUS(LOCUS_OK, net_open(&p, &net));
    CHECK(!locus_encode_text(&hashed, "The cat", 7, x, NULL, NULL) &&
          !locus_encode_text(locus_net_get_info(net).text, "The cat", 7, y, NULL, NULL) &&
          !memcmp(x, y, sizeof(float) * FREE_DIM));
    locus_net_destroy(net);
    CHECK(g_blocks == 0);
}

static void net_refuses_other_tables(void)
{
    const locus_text table = table_encoder();
    static signed char changed[TABLE_ROWS * TABLE_DIM];
    uint32_t unsorted[TABLE_ROWS];
    locus_text other = table;
    net_parts p;
    locus_net *net;
    size_t i;
    int kind;
    for (kind = 0; kind < 14; kind++) {
        locus_status want = LOCUS_ERR_MISMATCH;
        const char *name = table_name;
        net_start(&p, TABLE_DIM);
        other = table;
        if (kind == 0) { // a row that the probes need
            memcpy(changed, g_table, sizeof changed);
            for (i = 0; i < sizeof changed; i++) changed[i] = (signed char)(changed[i] / 2);
            other.table = changed;
        }
        if (kind == 1) name = free_name;
        if (kind == 2) {
            memcpy(unsorted, table_keys, sizeof unsorted);
            unsorted[7] = unsorted[6];
            other.keys = unsorted;
            want = LOCUS_ERR_FORMAT;
        }
        net_text(&p, &other);
        if (kind == 3) p.tensor_count--, want = LOCUS_ERR_TENSOR;
        if (kind == 4) p.tensors[8].name = "text.tables", want = LOCUS_ERR_TENSOR;
        if (kind == 5) p.tensors[8].dtype_name = "U8", want = LOCUS_ERR_UNSUPPORTED;
        if (kind == 6) p.tensors[6].shape[0]--, want = LOCUS_ERR_TENSOR;
        if (kind == 7) p.tensors[8].shape[1]--, want = LOCUS_ERR_TENSOR;
        if (kind == 8) name = "another", want = LOCUS_ERR_METADATA;
        if (kind == 9) name = "", want = LOCUS_ERR_METADATA;
        if (kind == 10) net_meta(&p, "query_encoder_dim", "21"), want = LOCUS_ERR_METADATA;
        if (kind == 11) p.tensor_count = 6; // the name of a table, but none there
        if (kind == 12) name = "locus-text-1/";
        if (kind == 13) name = "locus-text-1/0123456789ABCDEF";
        net_meta(&p, "query_encoder", name);
        if (!CHECK_STATUS(want, net_open(&p, &net))) printf("kind %d\n", kind);
        CHECK(net == NULL && g_blocks == 0);
    }
    net_start(&p, 8);
    net_meta(&p, "query_encoder", free_name); // for another length
    CHECK_STATUS(LOCUS_ERR_MISMATCH, net_open(&p, &net));
    CHECK_MESSAGE("query_encoder: made for another net, query encoder, data or options: expected \"locus-text-1/");
}

// A changed byte anywhere: refused, or a net whose encoder still works.
static void survives_changed_files(void)
{
    const locus_text table = table_encoder();
    const char *path = temp_path("locus_test_text_fuzz.safetensors");
    net_parts p;
    FILE *f;
    unsigned char *file = (unsigned char *)malloc(100000);
    size_t n = 0, i, opened = 0;
    if (!file) exit(2);
    net_start(&p, TABLE_DIM);
    net_text(&p, &table);
    net_meta(&p, "query_encoder", table_name);
    CHECK_STATUS(LOCUS_OK,
                 locus_safetensors_save(path, p.tensors, p.tensor_count, p.metadata, p.metadata_count, &g_err));
    if ((f = fopen(path, "rb")) != NULL) {
        n = fread(file, 1, 100000, f);
        fclose(f);
    }
    remove(path);
    for (i = 0; i < n; i++) {
        const unsigned char keep = file[i];
        locus_safetensors st;
        locus_net *net = NULL;
        float x[TABLE_DIM];
        file[i] = (unsigned char)(keep ^ 1u << random_u32() % 8);
        if (!locus_safetensors_parse(&st, file, n, NULL, &g_err)) {
            if (!locus_net_create(&net, &st, NULL, &g_err)) {
                opened++;
                if (locus_net_get_info(net).text &&
                    locus_encode_text(locus_net_get_info(net).text, "The cat", 7, x, NULL, NULL))
                    CHECK(0);
            }
            locus_net_destroy(net);
            locus_safetensors_close(&st);
        }
        file[i] = keep;
    }
    CHECK(n > 5000 && opened > 0 && opened < n && g_blocks == 0);
    free(file);
}

// ----------------------------------------------------------------------------------------------------- learning

enum { CORPUS = 120 };
static char g_corpus[CORPUS][400];
static const char *g_texts[CORPUS];

static void make_corpus(void)
{
    static const char *const words[3][12] = {
        {"court", "law", "contract", "seller", "breach", "judge", "appeal", "tort", "negligence", "duty", "jury",
         "claim"},
        {"cell", "protein", "gene", "enzyme", "membrane", "plant", "tissue", "virus", "organ", "blood", "muscle",
         "bone"},
        {"sum", "integral", "matrix", "prime", "vector", "limit", "series", "group", "ring", "graph", "proof", "root"}};
    size_t i, k;
    g_random = 7;
    for (i = 0; i < CORPUS; i++) {
        g_corpus[i][0] = 0;
        for (k = 0; k < 14; k++) {
            strcat(g_corpus[i], k % 3 ? words[i % 3][random_u32() % 12] : &"the of a to in is"[3 * (random_u32() % 4)]);
            strcat(g_corpus[i], k % 5 ? " " : ", ");
        }
        g_texts[i] = g_corpus[i];
    }
}

static int same_encoder(const locus_text *a, const locus_text *b)
{
    return a->dim == b->dim && a->rows == b->rows && !memcmp(a->keys, b->keys, a->rows * sizeof *a->keys) &&
           !memcmp(a->weights, b->weights, a->rows * sizeof *a->weights) &&
           !memcmp(a->table, b->table, a->rows * a->dim);
}

static size_t g_steps, g_stop_at;
static int count_steps(void *user, size_t done, size_t total)
{
    CHECK(user == &g_steps && done <= total);
    return ++g_steps == g_stop_at;
}

static void learns_what_texts_are_about(void)
{
    locus_text *t;
    locus_text_train_opts o;
    locus_run run;
    float x[CORPUS][16];
    size_t i, j, k, right = 0, length[CORPUS];
    char name[LOCUS_TEXT_NAME_BYTES], again[LOCUS_TEXT_NAME_BYTES];
    make_corpus();
    memset(&o, 0, sizeof o);
    memset(&run, 0, sizeof run);
    o.dim = 16;
    o.rows = 300;
    if (!CHECK_STATUS(LOCUS_OK, locus_text_train(&t, g_texts, NULL, CORPUS, &o, &run, &g_err))) return;
    CHECK(t->dim == 16 && t->rows > 50 && t->rows <= 300);
    for (i = 1; i < t->rows; i++) CHECK(t->keys[i - 1] < t->keys[i]);
    for (i = 0; i < CORPUS; i++) {
        CHECK_STATUS(LOCUS_OK, locus_encode_text(t, g_texts[i], strlen(g_texts[i]), x[i], NULL, &g_err));
        length[i] = strlen(g_texts[i]);
    }
    for (i = 0; i < CORPUS; i++) { // the nearest other text is of the same topic
        double most = -2.0;
        size_t best = i;
        for (j = 0; j < CORPUS; j++) {
            double dot = 0.0;
            for (k = 0; k < 16; k++) dot += (double)x[i][k] * (double)x[j][k];
            if (i != j && dot > most) most = dot, best = j;
        }
        right += best % 3 == i % 3;
    }
    CHECK(right >= CORPUS * 95 / 100);
    locus_text_name(t, name, NULL);
    for (i = 0; i < 4; i++) { // the same for any number of threads, and with lengths given
        const locus_parallel *threads = NULL;
        locus_text *u;
        CHECK_STATUS(LOCUS_OK, locus_threads_create(&threads, i + 1, &g_err));
        run.parallel = threads;
        CHECK_STATUS(LOCUS_OK, locus_text_train(&u, g_texts, i % 2 ? length : NULL, CORPUS, &o, &run, &g_err));
        CHECK(same_encoder(t, u));
        locus_text_name(u, again, NULL);
        CHECK(!strcmp(name, again));
        locus_text_destroy(u);
        locus_threads_destroy(threads);
    }
    run.parallel = NULL;
    locus_text_destroy(t);
    locus_text_destroy(NULL);
    run.progress = count_steps;
    run.user = &g_steps;
    g_steps = g_stop_at = 0;
    CHECK_STATUS(LOCUS_OK, locus_text_train(&t, g_texts, NULL, CORPUS, &o, &run, &g_err));
    locus_text_destroy(t);
    k = g_steps;
    for (i = 1; i < k; i++) { // stopped at every step
        g_steps = 0;
        g_stop_at = i;
        CHECK_STATUS(LOCUS_ERR_CANCELLED, locus_text_train(&t, g_texts, NULL, CORPUS, &o, &run, &g_err));
        CHECK(t == NULL && g_blocks == 0);
    }
    run.progress = NULL;
    for (i = 1;; i++) { // every allocation fails
        g_mallocs = 0;
        g_fail_at = i;
        if (!locus_text_train(&t, g_texts, NULL, CORPUS, &o, &run, &g_err)) break;
        CHECK(g_err.status == LOCUS_ERR_MEMORY && t == NULL && g_blocks == 0);
    }
    CHECK(i > 10 && g_blocks > 0);
    locus_text_destroy(t);
    g_fail_at = 0;
    { // in memory given: as much as it says, and nothing is allocated
        unsigned char small[64], *block;
        locus_text *u;
        run.memory = small;
        run.memory_bytes = sizeof small;
        CHECK_STATUS(LOCUS_ERR_MEMORY, locus_text_train(&u, g_texts, NULL, CORPUS, &o, &run, &g_err));
        CHECK(u == NULL && g_err.bytes > sizeof small);
        run.memory_bytes = g_err.bytes;
        run.memory = block = (unsigned char *)malloc(g_err.bytes);
        g_mallocs = 0;
        CHECK_STATUS(LOCUS_OK, locus_text_train(&u, g_texts, NULL, CORPUS, &o, &run, &g_err));
        CHECK(g_mallocs == 0);
        run.memory = NULL;
        CHECK_STATUS(LOCUS_OK, locus_text_train(&t, g_texts, NULL, CORPUS, &o, NULL, &g_err));
        CHECK(u && (unsigned char *)u >= block && g_blocks > 0 && same_encoder(t, u));
        locus_text_destroy(t), locus_text_destroy(u);
        free(block);
    }
}

static void trained_net_carries_it(void)
{
    locus_text *t;
    locus_text_train_opts o;
    locus_train_data data;
    locus_train_opts options;
    locus_trainer *trainer;
    locus_net *net;
    const char *path;
    static float q[CORPUS * 16];
    static unsigned char scores[3 * CORPUS];
    size_t train[CORPUS], i;
    float x[16], y[16];
    memset(&o, 0, sizeof o);
    o.dim = 16;
    o.rows = 300;
    make_corpus();
    if (!CHECK_STATUS(LOCUS_OK, locus_text_train(&t, g_texts, NULL, CORPUS, &o, NULL, &g_err))) return;
    for (i = 0; i < CORPUS; i++) {
        train[i] = i;
        scores[i] = i % 3 == 0, scores[CORPUS + i] = i % 3 == 1, scores[2 * CORPUS + i] = i % 3 == 2;
        locus_encode_text(t, g_texts[i], strlen(g_texts[i]), q + 16 * i, NULL, NULL);
    }
    memset(&data, 0, sizeof data);
    data.evals.queries.encodings = q;
    data.evals.queries.count = CORPUS;
    data.evals.queries.dim = 16;
    data.evals.scores.models = 3;
    data.evals.scores.u8 = scores;
    data.train = train;
    data.train_count = CORPUS;
    data.text = t;
    memset(&options, 0, sizeof options);
    options.epochs = 2;
    data.query_encoder = "another";
    CHECK_STATUS(LOCUS_ERR_MISMATCH, locus_train_create(&trainer, &data, &options, NULL, &g_err));
    data.query_encoder = NULL;
    if (CHECK_STATUS(LOCUS_OK, locus_train_create(&trainer, &data, &options, NULL, &g_err))) {
        CHECK_STATUS(LOCUS_OK, locus_train_run(trainer, &g_err));
        path = temp_path("locus_test_text_trained.safetensors");
        CHECK_STATUS(LOCUS_OK, locus_train_save(trainer, path, &g_err));
        for (i = 0; i < 2; i++) {
            if (!CHECK_STATUS(LOCUS_OK, i ? locus_net_open(&net, path, NULL, &g_err)
                                          : locus_train_net(&net, trainer, NULL, &g_err)))
                continue;
            CHECK(locus_net_get_info(net).text != NULL);
            CHECK(!locus_encode_text(t, "a court", 7, x, NULL, NULL) &&
                  !locus_encode_text(locus_net_get_info(net).text, "a court", 7, y, NULL, NULL) &&
                  !memcmp(x, y, sizeof x));
            locus_net_destroy(net);
        }
        remove(path);
        locus_train_destroy(trainer);
    }
    locus_text_destroy(t);
    CHECK(g_blocks == 0);
}

static void learns_from_little(void)
{
    static const char *const two[] = {"hello world", "hello there"}, *const apart[] = {"hello",
                                                                                       "x 1 2 3 4 5 6 7 ; ; ;"};
    static const char *const holes[] = {"hello world", NULL, "hello"};
    const size_t none[3] = {0, 0, 0};
    locus_text_train_opts o;
    locus_text *t;
    float x[128], y[128];
    memset(&o, 0, sizeof o);
    CHECK_STATUS(LOCUS_OK, locus_text_train(&t, two, NULL, 2, NULL, NULL, &g_err)); // far fewer rows than dimensions
    CHECK(t->dim == 128 && t->rows > 0 && t->rows < 128);
    CHECK(!locus_encode_text(t, "hello you", 9, x, NULL, NULL) && is_unit(x, 128));
    CHECK(!locus_encode_text(t, "", 0, y, NULL, NULL) && is_unit(y, 128));
    locus_text_destroy(t);
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_text_train(&t, apart, NULL, 1, NULL, NULL, &g_err));
    CHECK_MESSAGE("in common");
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_text_train(&t, NULL, NULL, 0, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_text_train(&t, NULL, NULL, 5, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_text_train(NULL, two, NULL, 2, NULL, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_text_train(&t, holes, NULL, 3, NULL, NULL, &g_err));
    CHECK_MESSAGE("texts[1]");
    CHECK_STATUS(LOCUS_OK,
                 locus_text_train(&t, holes, none, 3, NULL, NULL, &g_err)); // three empty texts: their shape is common
    locus_text_destroy(t);
    o.dim = LOCUS_TEXT_MAX_DIM + 1;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_text_train(&t, two, NULL, 2, &o, NULL, &g_err));
    o.dim = 1;
    o.rows = 1;
    CHECK_STATUS(LOCUS_OK, locus_text_train(&t, two, NULL, 2, &o, NULL, &g_err));
    CHECK(t->rows == 1 && t->dim == 1);
    locus_text_destroy(t);
    o.rows = LOCUS_TEXT_MAX_ROWS + 1;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_text_train(&t, two, NULL, 2, &o, NULL, &g_err));
    CHECK(g_blocks == 0);
}

// -------------------------------------------------------------------------------------------------- JSON lines

static locus_status parse(locus_texts *t, const char *text)
{
    const size_t n = strlen(text);
    char *exact = (char *)malloc(n ? n : 1);
    locus_status status;
    if (!exact) exit(2);
    if (n) memcpy(exact, text, n);
    status = locus_texts_parse(t, exact, n, NULL, &g_err);
    free(exact);
    return status;
}

static void reads_json_lines(void)
{
    static const char good[] = "\xef\xbb\xbf{\"id\": 17, \"text\": \"What\\n\\u00e9 \\ud83d\\ude00 \\\"x\\\"?\", "
                               "\"category\": \"math\", \"src\": [1, {\"a\": null}]}\r\n"
                               "\n   \t\r\n"
                               "  {\"t\\u0065xt\": \"\", \"id\": \"b\"}  \n"
                               "{\"text\":\"last\",\"category\":null,\"id\":-1.5e3}";
    static const struct {
        const char *text, *message;
        locus_status status;
    } bad[] = {
        {"{\"id\": 1}", "line 1: file malformed: expected the key \"text\"", LOCUS_ERR_FORMAT},
        {"{\"text\": \"a\"}\n{\"text\": 1}", "line 2, \"text\"", LOCUS_ERR_FORMAT},
        {"{\"text\": null}", "found null", LOCUS_ERR_FORMAT},
        {"{\"category\": null}", "expected the key \"text\"", LOCUS_ERR_FORMAT},
        {"{\"text\": \"a\", \"id\": [1]}", "an array", LOCUS_ERR_FORMAT},
        {"{\"text\": \"a\", \"category\": 3}", "a number", LOCUS_ERR_FORMAT},
        {"{\"text\": \"a\", \"text\": \"a\"}", "line 1, \"text\"", LOCUS_ERR_FORMAT},
        {"{\"text\": \"a\", \"te\\u0078t\": \"a\"}", "line 1, \"text\"", LOCUS_ERR_FORMAT},
        {"{\"text\": \"a\\u0000b\"}", "NUL", LOCUS_ERR_FORMAT},
        {"{\"text\": \"a\xff\"}", "UTF-8", LOCUS_ERR_FORMAT},
        {"{\"text\": \"a\"} x", "line 1, byte 14", LOCUS_ERR_FORMAT},
        {"{\"text\": \"a\"", "line 1, byte 12", LOCUS_ERR_FORMAT},
        {"{\"text\": \"a\n\"}", "line 1, byte 11", LOCUS_ERR_FORMAT},
        {"{\"text\": \"\\ud800\"}", "surrogates", LOCUS_ERR_FORMAT},
        {"[\"text\"]", "an object", LOCUS_ERR_FORMAT},
        {"\"text\"", "an object", LOCUS_ERR_FORMAT},
        {"text", "an object", LOCUS_ERR_FORMAT},
    };
    locus_texts t;
    size_t i, n;
    char deep[1000];
    if (CHECK_STATUS(LOCUS_OK, parse(&t, good))) {
        CHECK(t.count == 3);
        CHECK(!strcmp(t.texts[0], "What\n\xc3\xa9 \xf0\x9f\x98\x80 \"x\"?") && t.bytes[0] == strlen(t.texts[0]));
        CHECK(!strcmp(t.ids[0], "17") && !strcmp(t.categories[0], "math"));
        CHECK(!strcmp(t.texts[1], "") && t.bytes[1] == 0 && !strcmp(t.ids[1], "b") && !strcmp(t.categories[1], ""));
        CHECK(!strcmp(t.texts[2], "last") && !strcmp(t.ids[2], "-1.5e3") && !strcmp(t.categories[2], ""));
        locus_texts_close(&t);
    }
    if (CHECK_STATUS(LOCUS_OK, parse(&t, "{\"category\": \"math\"}\n{\"text\": \"\"}"))) { // categories alone
        CHECK(t.count == 2 && !t.texts[0] && t.bytes[0] == 0 && !strcmp(t.categories[0], "math"));
        CHECK(t.texts[1] && !strcmp(t.texts[1], "") && !strcmp(t.categories[1], ""));
        locus_texts_close(&t);
    }
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_STATUS(bad[i].status, parse(&t, bad[i].text));
        CHECK_MESSAGE(bad[i].message);
        CHECK(t.count == 0 && !t.owned && g_blocks == 0);
    }
    memset(deep, '[', sizeof deep);
    memcpy(deep, "{\"text\":", 8);
    deep[sizeof deep - 1] = 0;
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse(&t, deep));
    CHECK_STATUS(LOCUS_OK, parse(&t, ""));
    CHECK(t.count == 0);
    locus_texts_close(&t);
    locus_texts_close(NULL);
    for (n = 0; n < sizeof good; n++) { // every prefix, and every byte changed, in exact blocks
        char cut[sizeof good];
        memcpy(cut, good, n);
        cut[n] = 0;
        if (!parse(&t, cut)) locus_texts_close(&t);
        memcpy(cut, good, sizeof good);
        if (n + 1 < sizeof good) cut[n] = (char)random_u32();
        if (!parse(&t, cut)) locus_texts_close(&t);
        CHECK(g_blocks == 0);
    }
    g_mallocs = 0;
    g_fail_at = 1;
    CHECK_STATUS(LOCUS_ERR_MEMORY, parse(&t, good));
    g_fail_at = 0;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_texts_parse(NULL, "", 0, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_texts_parse(&t, NULL, 1, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_IO, locus_texts_open(&t, "/nonexistent/x.jsonl", NULL, &g_err));
    CHECK(g_blocks == 0);
}

static void real_questions(void)
{
    locus_texts t;
    locus_text *e;
    locus_text_train_opts o;
    float *x;
    size_t i, j, d, right = 0, of = 0;
    double seconds;
    clock_t start;
    if (locus_texts_open(&t, "../shared/data/mmlu-pro/queries.jsonl", NULL, &g_err)) {
        printf("real questions skipped: %s\n", g_err.message);
        return;
    }
    CHECK(t.count == 12032 && !strcmp(t.ids[0], "70") && !strcmp(t.categories[0], "business"));
    memset(&o, 0, sizeof o);
    o.rows = 4096;
    o.dim = 64;
    start = clock();
    CHECK_STATUS(LOCUS_OK, locus_text_train(&e, t.texts, t.bytes, t.count, &o, NULL, &g_err));
    seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    x = (float *)malloc(t.count * 64 * sizeof *x);
    if (!x) exit(2);
    start = clock();
    for (i = 0; i < t.count; i++)
        CHECK(!locus_encode_text(e, t.texts[i], t.bytes[i], x + 64 * i, NULL, &g_err) && is_unit(x + 64 * i, 64));
    printf("learned in %.1f s; %.1f us a question\n", seconds,
           1e6 * (double)(clock() - start) / CLOCKS_PER_SEC / (double)t.count);
    for (i = 0; i < t.count; i += 40) { // the nearest other question is mostly of the same subject
        float most = -2.0f;
        size_t best = 0;
        for (j = 0; j < t.count; j++) {
            float dot = 0.0f;
            for (d = 0; d < 64; d++) dot += x[64 * i + d] * x[64 * j + d];
            if (j != i && strcmp(t.texts[i], t.texts[j]) && dot > most) most = dot, best = j;
        }
        right += !strcmp(t.categories[i], t.categories[best]);
        of++;
    }
    printf("nearest of the same subject: %.1f %%\n", 100.0 * (double)right / (double)of);
    CHECK(right * 10 > of * 6);
    free(x);
    locus_text_destroy(e);
    locus_texts_close(&t);
}

static const test_case tests[] = {
    TEST(takes_any_bytes),          TEST(works_in_given_memory),  TEST(encodes_as_the_second_implementation),
    TEST(sums_do_not_overflow),     TEST(refuses_bad_encoders),   TEST(net_carries_its_encoder),
    TEST(net_refuses_other_tables), TEST(survives_changed_files), TEST(learns_what_texts_are_about),
    TEST(trained_net_carries_it),   TEST(learns_from_little),     TEST(reads_json_lines),
    TEST(real_questions),
};

MAIN(tests)
