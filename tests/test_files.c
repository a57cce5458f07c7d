// SPDX-License-Identifier: MIT
// Tests of the file formats: every error of the two readers, hostile input, round trips, memory that runs out.
//
//     cc -I. -O1 -g -fsanitize=address,undefined tests/test_files.c -o build/test_files -lm -lpthread &&
//     build/test_files
//
// Run from the root of the repository. LOCUS_TEST_TMP: for files (default /tmp). All .safetensors and .npy files under
// ../shared and tests/golden are opened too, where those folders exist.

#define TEST_FILE "test_files.c"
#define TEST_INSIDE
#include "harness.h"

#ifndef _WIN32
#include <dirent.h>
#endif

static unsigned char *slurp(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    unsigned char *p = NULL;
    long n;
    *bytes = 0;
    if (!f) return NULL;
    if (fseek(f, 0, SEEK_END) == 0 && (n = ftell(f)) >= 0 && fseek(f, 0, SEEK_SET) == 0) {
        p = (unsigned char *)malloc((size_t)n + 1);
        if (p) *bytes = fread(p, 1, (size_t)n, f);
    }
    fclose(f);
    return p;
}

static int spill(const char *path, const void *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    const int ok = f && fwrite(data, 1, bytes, f) == bytes;
    return f && fclose(f) == 0 && ok;
}

// -------------------------------------------------------------------------------------------------- safetensors

// A file in a block of exactly its size, so that the address sanitizer sees every byte read too far.
static unsigned char *st_raw(const void *header, size_t n, uint64_t claimed, size_t data, size_t *bytes)
{
    unsigned char *p = (unsigned char *)malloc(8 + n + data);
    size_t i;
    if (!p) exit(2);
    for (i = 0; i < 8; i++) p[i] = (unsigned char)(claimed >> 8 * i & 255);
    if (n) memcpy(p + 8, header, n);
    for (i = 0; i < data; i++) p[8 + n + i] = (unsigned char)(i * 37 + 1);
    *bytes = 8 + n + data;
    return p;
}

static locus_status parse_exact(const void *data, size_t bytes)
{
    locus_safetensors st;
    const long live = g_blocks;
    const locus_status s = locus_safetensors_parse(&st, data, bytes, NULL, &g_err);
    if (s) {
        CHECK(g_err.status == s && g_err.message[0]);
        CHECK(st.tensors == NULL && st.owned == NULL && g_blocks == live);
    } else {
        locus_safetensors_close(&st);
        CHECK(g_blocks == live);
    }
    return s;
}

static locus_status parse_bytes(const void *header, size_t n, size_t data)
{
    size_t bytes;
    unsigned char *p = st_raw(header, n, n, data, &bytes);
    const locus_status s = parse_exact(p, bytes);
    free(p);
    return s;
}

static locus_status parse_text(const char *header, size_t data) { return parse_bytes(header, strlen(header), data); }

#define T(name, dtype, shape, offsets)                                                                                 \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void framing_errors_are_told_apart(void)
{
    unsigned char eight[8] = {0};
    unsigned char *p;
    size_t bytes, n;
    for (n = 0; n < 8; n++) {
        p = (unsigned char *)malloc(n ? n : 1);
        if (!p) exit(2);
        memset(p, 0, n);
        CHECK_STATUS(LOCUS_ERR_FORMAT, parse_exact(p, n));
        free(p);
    }
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_exact(NULL, 0));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, parse_exact(NULL, 9));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_exact(eight, 8));
    p = st_raw("{}", 2, 3, 0, &bytes);
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_exact(p, bytes));
    free(p);
    p = st_raw("{}", 2, 100000000, 0, &bytes);
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_exact(p, bytes));
    free(p);
    p = st_raw("{}", 2, 100000001, 0, &bytes);
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_exact(p, bytes));
    free(p);
    p = st_raw("{}", 2, UINT64_MAX, 0, &bytes);
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_exact(p, bytes));
    free(p);
    p = st_raw("{}", 2, UINT64_MAX - 7, 0, &bytes); // 8 + N wraps to 0
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_exact(p, bytes));
    free(p);
}

static void invalid_utf8_is_refused(void)
{
    static const char *const bad[] = {"\xff",         "\x80",         "\xc0\xaf",         "\xc1\xbf",
                                      "\xe0\x80\xaf", "\xed\xa0\x80", "\xf5\x80\x80",     "\xf4\x90\x80\x80",
                                      "\xe2\x82",     "\xc3",         "\xf0\x80\x80\x80", "\xf0\x9f\x98"};
    char header[64];
    size_t i;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sprintf(header, "{\"__metadata__\":{\"k\":\"%s\"}}", bad[i]);
        CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text(header, 0));
        CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text(bad[i], 0));
    }
    CHECK_STATUS(LOCUS_OK,
                 parse_text("{\"__metadata__\":{\"\xc3\xa9\":\"\xf0\x9f\x98\x80 \xed\x9f\xbf \xf4\x8f\xbf\xbf\"}}", 0));
}

static void invalid_json_is_refused(void)
{
    static const char *const bad[] = {"[]",
                                      "1",
                                      "null",
                                      "\"a\"",
                                      " ",
                                      "{",
                                      "{\"",
                                      "{\"a",
                                      "{\"a\"",
                                      "{\"a\":",
                                      "{\"a\":1",
                                      "{\"a\":1,",
                                      "{,}",
                                      "{'a':1}",
                                      "{a:1}",
                                      "{\"a\":1,}",
                                      "{\"a\":[1,]}",
                                      "{\"a\":[,1]}",
                                      "{\"a\":[1 2]}",
                                      "{\"a\":1 \"b\":2}",
                                      "{\"a\" 1}",
                                      "{\"a\"::1}",
                                      "{\"a\":NaN}",
                                      "{\"a\":Infinity}",
                                      "{\"a\":-Infinity}",
                                      "{\"a\":01}",
                                      "{\"a\":-}",
                                      "{\"a\":+1}",
                                      "{\"a\":.5}",
                                      "{\"a\":1.}",
                                      "{\"a\":1e}",
                                      "{\"a\":1e+}",
                                      "{\"a\":0x1}",
                                      "{\"a\":tru}",
                                      "{\"a\":True}",
                                      "{\"a\":nul",
                                      "{\"a\":\"\t\"}",
                                      "{\"a\":\"\n\"}",
                                      "{\"a\":\"\\x\"}",
                                      "{\"a\":\"\\\"}",
                                      "{\"a\":\"\\",
                                      "{\"a\":\"\\u12\"}",
                                      "{\"a\":\"\\u12g4\"}",
                                      "{\"a\":\"\\ug123\"}",
                                      "{\"a\":\"\\ud800\"}",
                                      "{\"a\":\"\\udc00\"}",
                                      "{\"a\":\"\\ud800\\ud800\"}",
                                      "{\"a\":\"\\ud800x\"}",
                                      "{\"a\":\"\\ud800\\u",
                                      "{/**/}",
                                      "{//\n}",
                                      "\xef\xbb\xbf{}",
                                      "{\"a\":[}",
                                      "{\"a\":{]}",
                                      "{\"a\":[1}}",
                                      "{1:2}",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":--1}",
                                      "{\"a\":\"\\u00",
                                      "{\"a\":truefalse}",
                                      "{\"a\":00}",
                                      "{\"a\":1e5.5}"};
    size_t i;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (!CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text(bad[i], 0))) printf("    %s\n", bad[i]);
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_bytes("{\0}", 3, 0));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_bytes("{\"a\":\"\0\"}", 9, 0));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{}{}", 0));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{} x", 0));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{}}", 0));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_bytes("{}\0", 3, 0));
}

static void nesting_is_limited(void)
{
    size_t depth;
    for (depth = 120; depth < 140; depth++) { // of arrays, within two objects
        char header[700];
        size_t n, i;
        strcpy(header, "{\"t\":{\"x\":");
        n = strlen(header);
        for (i = 0; i < depth; i++) header[n++] = '[';
        for (i = 0; i < depth; i++) header[n++] = ']';
        strcpy(header + n, ",\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}");
        CHECK_STATUS(depth + 2 <= 128 ? LOCUS_OK : LOCUS_ERR_FORMAT, parse_text(header, 1));
    }
    {
        const size_t n = 1000000;
        char *deep = (char *)malloc(n + 6);
        if (!deep) exit(2);
        memcpy(deep, "{\"a\":", 5);
        memset(deep + 5, '[', n);
        CHECK_STATUS(LOCUS_ERR_FORMAT, parse_bytes(deep, n + 5, 0));
        free(deep);
    }
}

static void duplicate_keys_are_refused(void)
{
    CHECK_STATUS(LOCUS_ERR_FORMAT,
                 parse_text("{" T("a", "U8", "[1]", "[0,1]") "," T("a", "U8", "[1]", "[1,2]") "}", 2));
    CHECK_STATUS(LOCUS_ERR_FORMAT,
                 parse_text("{" T("a", "U8", "[4]", "[0,4]") "," T("a", "F32", "[1]", "[0,4]") "}", 4));
    CHECK_STATUS(LOCUS_ERR_FORMAT,
                 parse_text("{" T("a", "U8", "[1]", "[0,1]") "," T("\\u0061", "U8", "[1]", "[1,2]") "}", 2));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{" T("\xf0\x9f\x98\x80", "U8", "[1]",
                                                    "[0,1]") "," T("\\ud83d\\uDE00", "U8", "[1]", "[1,2]") "}",
                                              2));
    CHECK_STATUS(
        LOCUS_ERR_FORMAT,
        parse_text("{" T("a/\xc3\xa9", "U8", "[1]", "[0,1]") "," T("a\\/\\u00e9", "U8", "[1]", "[1,2]") "}", 2));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{\"__metadata__\":{},\"__metadata__\":{}}", 0));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{\"__metadata__\":{},\"__metad\\u0061ta__\":{}}", 0));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{\"__metadata__\":{\"a\":\"1\",\"b\":\"\",\"\\u0061\":\"2\"}}", 0));
    CHECK_STATUS(LOCUS_ERR_FORMAT,
                 parse_text("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1));
    CHECK_STATUS(LOCUS_ERR_FORMAT,
                 parse_text("{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"sh\\u0061pe\":[],\"data_offsets\":[0,1]}}", 1));
}

static void bad_entries_are_refused(void)
{
    static const char *const entries[] = {"[\"U8\",[1],[0,1]]",
                                          "null",
                                          "1",
                                          "\"x\"",
                                          "true",
                                          "{}",
                                          "{\"dtype\":\"U8\",\"shape\":[1]}",
                                          "{\"dtype\":\"U8\",\"data_offsets\":[0,1]}",
                                          "{\"shape\":[1],\"data_offsets\":[0,1]}",
                                          "{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,1]}",
                                          "{\"dtype\":null,\"shape\":[1],\"data_offsets\":[0,1]}",
                                          "{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}",
                                          "{\"dtype\":\"U8\",\"shape\":\"1\",\"data_offsets\":[0,1]}",
                                          "{\"dtype\":\"U8\",\"shape\":{},\"data_offsets\":[0,1]}",
                                          "{\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]}",
                                          "{\"dtype\":\"U8\",\"shape\":[1e0],\"data_offsets\":[0,1]}",
                                          "{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}",
                                          "{\"dtype\":\"U8\",\"shape\":[-0],\"data_offsets\":[0,1]}",
                                          "{\"dtype\":\"U8\",\"shape\":[true],\"data_offsets\":[0,1]}",
                                          "{\"dtype\":\"U8\",\"shape\":[\"1\"],\"data_offsets\":[0,1]}",
                                          "{\"dtype\":\"U8\",\"shape\":[[1]],\"data_offsets\":[0,1]}",
                                          "{\"dtype\":\"U8\",\"shape\":[null],\"data_offsets\":[0,1]}",
                                          "{\"dtype\":\"U8\",\"shape\":[{}],\"data_offsets\":[0,1]}",
                                          "{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}",
                                          "{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[]}",
                                          "{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,1]}",
                                          "{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1.0]}",
                                          "{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":null}",
                                          "{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[-0,1]}",
                                          "{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}"};
    char header[512];
    size_t i;
    for (i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        sprintf(header, "{\"a\":%s}", entries[i]);
        if (!CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text(header, 1))) printf("    %s\n", entries[i]);
        CHECK(g_err.where[0] == 'a' && (!g_err.where[1] || g_err.where[1] == ' '));
    }
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{" T("a\\u0000b", "U8", "[1]", "[0,1]") "}", 1));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{\"__metadata__\\u0000\":{}}", 0)); // not the reserved name
}

static void bad_metadata_is_refused(void)
{
    CHECK_STATUS(LOCUS_ERR_METADATA, parse_text("{\"__metadata__\":null}", 0));
    CHECK_STATUS(LOCUS_ERR_METADATA, parse_text("{\"__metadata__\":[]}", 0));
    CHECK_STATUS(LOCUS_ERR_METADATA, parse_text("{\"__metadata__\":\"x\"}", 0));
    CHECK_STATUS(LOCUS_ERR_METADATA, parse_text("{\"__metadata__\":{\"a\":1}}", 0));
    CHECK_STATUS(LOCUS_ERR_METADATA, parse_text("{\"__metadata__\":{\"a\":null}}", 0));
    CHECK_STATUS(LOCUS_ERR_METADATA, parse_text("{\"__metadata__\":{\"a\":{}}}", 0));
    CHECK_STATUS(LOCUS_ERR_METADATA, parse_text("{\"__metadata__\":{\"a\":\"x\\u0000\"}}", 0));
    CHECK_STATUS(LOCUS_ERR_METADATA, parse_text("{\"__metadata__\":{\"\\u0000\":\"x\"}}", 0));
}

static void bad_geometry_is_refused(void)
{
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{" T("a", "f32", "[1]", "[0,4]") "}", 4));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{" T("a", "F32 ", "[1]", "[0,4]") "}", 4));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{" T("a", "", "[1]", "[0,4]") "}", 4));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{" T("a", "F32\\u0000", "[1]", "[0,4]") "}", 4));
    CHECK_STATUS(LOCUS_ERR_FORMAT,
                 parse_text("{" T("a", "F32F32F32F32F32F32F32F32F32F32F32F32F32F32F32F32F32", "[1]", "[0,4]") "}", 4));
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, parse_text("{" T("a", "U8", "[4194305,4194305,211106198978564]", "[0,4]") "}", 4));
    CHECK_STATUS(LOCUS_ERR_OVERFLOW,
                 parse_text("{" T("a", "F32", "[4194305,4194305,211106198978564]", "[0,16]") "}", 16));
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, parse_text("{" T("a", "U8", "[18446744073709551616]", "[0,0]") "}", 0));
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, parse_text("{" T("a", "U8", "[1]", "[18446744073709551616,1]") "}", 1));
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, parse_text("{" T("a", "F64", "[9223372036854775807]", "[0,8]") "}", 8));
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, parse_text("{" T("a", "U8", "[0,9223372036854775808,4]", "[0,0]") "}", 0));
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, parse_text("{" T("a", "U8", "[9223372036854775808,4,0]", "[0,0]") "}", 0));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{" T("a", "F32", "[2]", "[0,4]") "}", 4));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{" T("a", "F32", "[]", "[0,0]") "}", 0));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{" T("a", "F4", "[3]", "[0,2]") "}", 2));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{" T("a", "F6_E2M3", "[1]", "[0,1]") "}", 1));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{" T("a", "U8", "[1]", "[1,0]") "}", 1));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{" T("a", "U8", "[2]", "[0,2]") "}", 1));
    CHECK_STATUS(LOCUS_ERR_FORMAT,
                 parse_text("{" T("a", "U8", "[1]", "[18446744073709551614,18446744073709551615]") "}", 1));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{" T("a", "U8", "[0]", "[5,5]") "}", 1));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{" T("a", "U8", "[1]", "[1,2]") "}", 2));
    CHECK_STATUS(LOCUS_ERR_FORMAT,
                 parse_text("{" T("a", "U8", "[1]", "[0,1]") "," T("b", "U8", "[1]", "[2,3]") "}", 3));
    CHECK_STATUS(LOCUS_ERR_FORMAT,
                 parse_text("{" T("a", "U8", "[2]", "[0,2]") "," T("b", "U8", "[2]", "[1,3]") "}", 3));
    CHECK(strcmp(g_err.where, "b") == 0 && strcmp(g_err.found, "1") == 0);
    CHECK_STATUS(LOCUS_ERR_FORMAT,
                 parse_text("{" T("a", "U8", "[2]", "[0,2]") "," T("b", "U8", "[2]", "[0,2]") "}", 2));
    CHECK_STATUS(LOCUS_ERR_FORMAT,
                 parse_text("{" T("a", "U8", "[2]", "[0,2]") "," T("b", "U8", "[0]", "[1,1]") "}", 2));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{" T("a", "U8", "[1]", "[0,1]") "}", 2));
    CHECK_STATUS(LOCUS_ERR_FORMAT, parse_text("{}", 1));
}

static void what_the_format_allows_is_accepted(void)
{
    static const struct {
        const char *name;
        size_t count, bytes;
    } types[] = {{"BOOL", 3, 3}, {"F4", 4, 2},         {"F6_E2M3", 4, 3}, {"F6_E3M2", 4, 3}, {"U8", 3, 3},
                 {"I8", 3, 3},   {"F8_E5M2", 3, 3},    {"F8_E4M3", 3, 3}, {"F8_E8M0", 3, 3}, {"F8_E4M3FNUZ", 3, 3},
                 {"I16", 3, 6},  {"U16", 3, 6},        {"F16", 3, 6},     {"BF16", 3, 6},    {"I32", 3, 12},
                 {"U32", 3, 12}, {"F32", 3, 12},       {"C64", 3, 24},    {"F64", 3, 24},    {"I64", 3, 24},
                 {"U64", 3, 24}, {"F8_E5M2FNUZ", 3, 3}};
    const char *text =
        " \t\r\n{ \"b\" : {\"shape\":[ ],\"x\":[1,{\"y\":\"]}\\\"\"}],\"data_offsets\":[0,4] , \"dtype\":\"F32\"},"
        "\"e\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[4,4]},"
        "\"a\\n\\u20ac\":{\"dtype\":\"U8\",\"shape\":[1,2,1,1,1,1,1,1],\"data_offsets\":[4,6]},"
        "\"__metadata__\":{\"z\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\",\"a\":\"\"} } \n ";
    locus_safetensors st;
    size_t bytes, i;
    unsigned char *p = st_raw(text, strlen(text), strlen(text), 6, &bytes);
    CHECK_STATUS(LOCUS_OK, parse_text("{}", 0));
    CHECK_STATUS(LOCUS_OK, parse_text("{\"__metadata__\":{}}", 0));
    for (i = 0; i < sizeof types / sizeof types[0]; i++) {
        char header[160];
        sprintf(header, "{\"a\":{\"dtype\":\"%s\",\"shape\":[%d],\"data_offsets\":[0,%d]}}", types[i].name,
                (int)types[i].count, (int)types[i].bytes);
        CHECK_STATUS(LOCUS_OK, parse_text(header, types[i].bytes));
    }
    if (CHECK_STATUS(LOCUS_OK, locus_safetensors_parse(&st, p, bytes, NULL, &g_err))) {
        const locus_tensor *t = locus_safetensors_find(&st, "a\n\xe2\x82\xac");
        const char *z = locus_safetensors_meta(&st, "z");
        CHECK(st.tensor_count == 3 && strcmp(st.tensors[0].name, "b") == 0 && strcmp(st.tensors[1].name, "e") == 0);
        CHECK(st.tensors[0].rank == 0 && st.tensors[0].count == 1 && st.tensors[0].shape[7] == 1);
        CHECK(st.tensors[1].count == 0 && st.tensors[1].bytes == 0 && st.tensors[1].rank == 2);
        CHECK(t && t->rank == 8 && t->shape[1] == 2 && t->data == p + bytes - 2 && t->dtype == LOCUS_U8);
        CHECK(z && strcmp(z, "\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80") == 0);
        CHECK(st.metadata_count == 2 && strcmp(st.metadata[0].key, "z") == 0 && strcmp(st.metadata[1].value, "") == 0);
        CHECK(!locus_safetensors_find(&st, "nope") && !locus_safetensors_meta(&st, "nope"));
        locus_safetensors_close(&st);
    }
    free(p);
}

static unsigned char *small_file(size_t *bytes)
{
    static const char text[] = "{\"__metadata__\":{\"k\":\"v\\u00e9\"}," T("w", "F32", "[1,2]", "[0,8]") "," T(
        "v", "BF16", "[2]", "[8,12]") "}";
    return st_raw(text, sizeof text - 1, sizeof text - 1, 12, bytes);
}

static void every_prefix_is_refused(void)
{
    size_t bytes, n;
    unsigned char *all = small_file(&bytes);
    CHECK_STATUS(LOCUS_OK, parse_exact(all, bytes));
    for (n = 0; n < bytes; n++) {
        unsigned char *part = (unsigned char *)malloc(n ? n : 1);
        if (!part) exit(2);
        memcpy(part, all, n);
        CHECK(parse_exact(part, n) != LOCUS_OK);
        part[0] = (unsigned char)(n >= 8 ? n - 8 : 0); // a header that ends there
        if (n > 8 && n - 8 < 256) parse_exact(part, n);
        free(part);
    }
    free(all);
}

static void no_flipped_byte_does_harm(void)
{
    size_t bytes, i;
    unsigned v;
    unsigned char *p = small_file(&bytes);
    float out[2];
    for (i = 0; i < bytes; i++) {
        const unsigned char was = p[i];
        for (v = 0; v < 256; v++) {
            locus_safetensors st;
            p[i] = (unsigned char)v;
            if (locus_safetensors_parse(&st, p, bytes, NULL, &g_err) == LOCUS_OK) {
                size_t k;
                for (k = 0; k < st.tensor_count; k++)
                    if (st.tensors[k].count == 2) locus_tensor_to_f32(&st.tensors[k], 0, 2, out, NULL);
                locus_safetensors_close(&st);
            } else {
                if (!g_err.message[0] || !locusi_utf8_valid((unsigned char *)g_err.message, strlen(g_err.message)))
                    failure(__LINE__, "no message in UTF-8");
            }
        }
        p[i] = was;
    }
    CHECK(g_blocks == 0);
    free(p);
}

static void the_callers_memory_is_enough_and_no_less(void)
{
    size_t bytes, need, shift;
    unsigned char *p = small_file(&bytes), *memory, one[1];
    const size_t calls = g_mallocs;
    locus_safetensors st;
    locus_run run = {0};
    run.memory = one, run.memory_bytes = sizeof one;
    CHECK_STATUS(LOCUS_ERR_MEMORY, locus_safetensors_parse(&st, p, bytes, &run, &g_err));
    need = g_err.bytes;
    CHECK(need > 0 && st.tensors == NULL);
    for (shift = 0; shift < 64; shift += 3) {
        if (!(memory = (unsigned char *)malloc(need + shift))) exit(2);
        run.memory = memory + shift, run.memory_bytes = need;
        CHECK_STATUS(LOCUS_OK, locus_safetensors_parse(&st, p, bytes, &run, &g_err));
        CHECK(st.tensor_count == 2 && strcmp(st.metadata[0].value, "v\xc3\xa9") == 0 && st.owned == NULL);
        locus_safetensors_close(&st);
        free(memory);
    }
    CHECK(g_mallocs == calls);
    free(p);
}

static char *many_tensors(size_t count, size_t *length, int backwards)
{
    char *h = (char *)malloc(count * 80 + 16), *w = h;
    size_t i;
    if (!h) exit(2);
    *w++ = '{';
    for (i = 0; i < count; i++) {
        const unsigned k = (unsigned)(backwards ? count - 1 - i : i);
        w += sprintf(w, "%s\"t%u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%u,%u]}", i ? "," : "", k, k,
                     k + 1);
    }
    *w++ = '}';
    *length = (size_t)(w - h);
    return h;
}

static void a_hundred_thousand_tensors_are_quick_and_the_limit(void)
{
    size_t n, bytes;
    char *h;
    unsigned char *p;
    int back;
    for (back = 0; back < 2; back++) {
        const clock_t start = clock();
        locus_safetensors st;
        h = many_tensors(100000, &n, back);
        p = st_raw(h, n, n, 100000, &bytes);
        free(h);
        if (CHECK_STATUS(LOCUS_OK, locus_safetensors_parse(&st, p, bytes, NULL, &g_err))) {
            CHECK(st.tensor_count == 100000 && strcmp(st.tensors[777].name, "t777") == 0);
            locus_safetensors_close(&st);
        }
        free(p);
        CHECK((double)(clock() - start) / CLOCKS_PER_SEC < 20.0); // also under the sanitizers
    }
    h = many_tensors(100001, &n, 0);
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, parse_bytes(h, n, 100001));
    CHECK(strstr(g_err.message, "100000"));
    free(h);
}

static void memory_that_runs_out_is_reported_and_freed(void)
{
    size_t bytes, i;
    unsigned char *p = small_file(&bytes);
    char path[700];
    int persistent;
    locus_safetensors st;
    locus_tensor *many = (locus_tensor *)calloc(300, sizeof *many);
    char(*names)[8] = (char(*)[8])calloc(300, sizeof *names);
    if (!many || !names) exit(2);
    for (i = 0; i < 300; i++) {
        sprintf(names[i], "n%d", (int)i);
        many[i].name = names[i];
        many[i].dtype = LOCUS_U8;
        many[i].data = "x";
    }
    strcpy(path, temp_path("locus_oom.safetensors"));
    CHECK(spill(path, p, bytes));
    for (persistent = 0; persistent < 2; persistent++) {
        long at;
        locus_status s = LOCUS_ERR_MEMORY;
        for (at = 1; s && at < 10; at++) {
            g_mallocs = 0;
            g_fail_at = (size_t)at;
            g_fail_persistent = persistent;
            s = locus_safetensors_open(&st, path, &g_err);
            if (s) CHECK_GOT(LOCUS_ERR_MEMORY, s);
            else locus_safetensors_close(&st);
            CHECK(g_blocks == 0);
        }
        CHECK(s == LOCUS_OK && at == (LOCUSI_MMAP ? 6 : 7)); // the lists, and the file if it is read
        s = LOCUS_ERR_MEMORY;
        for (at = 1; s && at < 10; at++) {
            g_mallocs = 0;
            g_fail_at = (size_t)at;
            g_fail_persistent = persistent;
            s = locus_safetensors_save(path, many, 300, NULL, 0, &g_err);
            if (s) CHECK_GOT(LOCUS_ERR_MEMORY, s);
            CHECK(g_blocks == 0);
        }
        CHECK(s == LOCUS_OK && at == 4);
    }
    g_fail_at = 0;
    g_fail_persistent = 0;
    if (CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err))) {
        CHECK(st.tensor_count == 300);
        locus_safetensors_close(&st);
    }
    remove(path);
    free(many);
    free(names);
    free(p);
}

static locus_tensor tensor(const char *name, locus_dtype dtype, size_t rank, size_t a, size_t b, const void *data)
{
    locus_tensor t;
    memset(&t, 0, sizeof t);
    t.name = name, t.dtype = dtype, t.rank = rank, t.shape[0] = a, t.shape[1] = b, t.data = data;
    return t;
}

static void what_is_saved_is_read_back(void)
{
    static const unsigned char bytes24[24] = {0, 0, 128, 63, 0, 0,  0,  192, 1,  2,  3,  4,
                                              5, 6, 7,   8,  9, 10, 11, 12,  13, 14, 15, 16};
    locus_tensor t[6], other;
    locus_metadata m[2];
    locus_safetensors st;
    float out[2];
    char path[700];
    size_t i;
    strcpy(path, temp_path("locus_round.safetensors"));
    t[0] = tensor("u\"\\\n\x01\xc3\xa9", LOCUS_U8, 1, 3, 0, bytes24);
    t[1] = tensor("b", LOCUS_F32, 2, 1, 2, bytes24);
    t[2] = tensor("a", LOCUS_F32, 0, 0, 0, bytes24);
    t[3] = tensor("h", LOCUS_BF16, 1, 2, 0, bytes24 + 3);
    t[4] = tensor("d", LOCUS_I64, 1, 2, 0, bytes24 + 5);
    t[5] = tensor("zero", LOCUS_F16, 2, 0, 9, NULL);
    m[0].key = "k\t\"", m[0].value = "line\nline\x1f\x7f";
    m[1].key = "", m[1].value = "\xf0\x9f\x98\x80";
    if (!CHECK_STATUS(LOCUS_OK, locus_safetensors_save(path, t, 6, m, 2, &g_err))) return;
    if (CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err))) {
        static const char *const order[] = {"d", "a", "b", "h", "zero", "u\"\\\n\x01\xc3\xa9"};
        CHECK(st.tensor_count == 6 && st.metadata_count == 2);
        for (i = 0; i < 6; i++) CHECK(strcmp(st.tensors[i].name, order[i]) == 0);
        CHECK((size_t)((const unsigned char *)st.tensors[0].data - st.file.data) % 8 == 0);
        for (i = 0; i < 6; i++) {
            const locus_tensor *r = locus_safetensors_find(&st, t[i].name);
            CHECK(r && r->dtype == t[i].dtype && r->rank == t[i].rank);
            CHECK(r && (r->bytes == 0 || memcmp(r->data, t[i].data, r->bytes) == 0));
        }
        CHECK(strcmp(locus_safetensors_meta(&st, m[0].key), m[0].value) == 0);
        CHECK(strcmp(locus_safetensors_meta(&st, ""), m[1].value) == 0);
        CHECK_STATUS(LOCUS_OK, locus_tensor_to_f32(locus_safetensors_find(&st, "b"), 0, 2, out, &g_err));
        CHECK(out[0] == 1.0f && out[1] == -2.0f);
        CHECK_STATUS(LOCUS_OK, locus_tensor_to_f32(locus_safetensors_find(&st, "b"), 1, 1, out, &g_err));
        CHECK(out[0] == -2.0f);
        CHECK_STATUS(LOCUS_OK, locus_tensor_to_f32(locus_safetensors_find(&st, "b"), 2, 0, NULL, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_tensor_to_f32(locus_safetensors_find(&st, "b"), 2, 1, out, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT,
                     locus_tensor_to_f32(locus_safetensors_find(&st, "b"), 1, SIZE_MAX, out, &g_err));
        CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_tensor_to_f32(NULL, 0, 0, out, &g_err));
        CHECK_STATUS(LOCUS_ERR_UNSUPPORTED, locus_tensor_to_f32(locus_safetensors_find(&st, "d"), 0, 1, out, &g_err));
        locus_safetensors_close(&st);
    }
    other = tensor("q", LOCUS_DTYPE_OTHER, 1, 4, 0, bytes24);
    other.dtype_name = "F4";
    CHECK_STATUS(LOCUS_OK, locus_safetensors_save(path, &other, 1, NULL, 0, &g_err));
    if (CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err))) {
        CHECK(st.tensors[0].bytes == 2 && st.tensors[0].dtype == LOCUS_DTYPE_OTHER);
        locus_safetensors_close(&st);
    }
    CHECK_STATUS(LOCUS_OK, locus_safetensors_save(path, NULL, 0, NULL, 0, &g_err));
    if (CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err))) locus_safetensors_close(&st);
    remove(path);
}

static void a_refused_save_leaves_the_old_file_whole(void)
{
    static const char old[] = "the old file";
    locus_tensor t[2];
    locus_metadata m[2];
    char path[700];
    unsigned char *p;
    size_t n, shape[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    strcpy(path, temp_path("locus_old.safetensors"));
    CHECK(spill(path, old, sizeof old));
    t[0] = tensor("a", LOCUS_U8, 1, 1, 0, old);
    t[1] = t[0];
    CHECK_STATUS(LOCUS_ERR_FORMAT, locus_safetensors_save(path, t, 2, NULL, 0, &g_err));
    t[1].name = "__metadata__";
    CHECK_STATUS(LOCUS_ERR_FORMAT, locus_safetensors_save(path, t, 2, NULL, 0, &g_err));
    t[1].name = "\xff";
    CHECK_STATUS(LOCUS_ERR_FORMAT, locus_safetensors_save(path, t, 2, NULL, 0, &g_err));
    t[1].name = NULL;
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_safetensors_save(path, t, 2, NULL, 0, &g_err));
    t[1] = tensor("b", LOCUS_F32, 2, SIZE_MAX / 2, 3, old);
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, locus_safetensors_save(path, t, 2, NULL, 0, &g_err));
    t[1] = tensor("b", LOCUS_F32, 9, 1, 1, old);
    CHECK_STATUS(LOCUS_ERR_FORMAT, locus_safetensors_save(path, t, 2, NULL, 0, &g_err));
    t[1] = tensor("b", LOCUS_DTYPE_OTHER, 1, 1, 1, old);
    CHECK_STATUS(LOCUS_ERR_FORMAT, locus_safetensors_save(path, t, 2, NULL, 0, &g_err));
    t[1] = tensor("b", LOCUS_U8, 1, 1, 1, NULL);
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_safetensors_save(path, t, 2, NULL, 0, &g_err));
    m[0].key = m[0].value = m[1].key = m[1].value = "k";
    CHECK_STATUS(LOCUS_ERR_FORMAT, locus_safetensors_save(path, t, 1, m, 2, &g_err));
    m[1].key = "__metadata__";
    CHECK_STATUS(LOCUS_ERR_METADATA, locus_safetensors_save(path, t, 1, m, 2, &g_err));
    m[1].key = "x", m[1].value = "\xc3";
    CHECK_STATUS(LOCUS_ERR_FORMAT, locus_safetensors_save(path, t, 1, m, 2, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_safetensors_save(NULL, t, 1, NULL, 0, &g_err));
    CHECK_STATUS(LOCUS_ERR_UNSUPPORTED, locus_npy_save(path, LOCUS_BF16, shape, 1, old, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_npy_save(path, LOCUS_F32, shape, 9, old, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_npy_save(path, LOCUS_F32, shape, 1, NULL, &g_err));
    shape[0] = shape[1] = SIZE_MAX;
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, locus_npy_save(path, LOCUS_F32, shape, 2, old, &g_err));
    p = slurp(path, &n);
    CHECK(p && n == sizeof old && memcmp(p, old, n) == 0);
    free(p);
    remove(path);
    CHECK_STATUS(LOCUS_ERR_IO, locus_safetensors_save("/nonexistent/folder/x.safetensors", t, 1, NULL, 0, &g_err));
    CHECK_STATUS(LOCUS_ERR_IO, locus_npy_save("/nonexistent/folder/x.npy", LOCUS_U8, NULL, 0, old, &g_err));
#ifndef _WIN32
    CHECK_STATUS(LOCUS_ERR_IO, locus_npy_save("/tmp", LOCUS_U8, NULL, 0, old, &g_err)); // rename fails: a folder
#endif
}

static size_t count_temporaries(const char *folder, const char *start)
{
    size_t found = 0;
#ifndef _WIN32
    DIR *dir = opendir(folder);
    struct dirent *e;
    while (dir && (e = readdir(dir)) != NULL)
        found += strncmp(e->d_name, start, strlen(start)) == 0 && strstr(e->d_name, ".tmp") != NULL;
    if (dir) closedir(dir);
#else
    (void)folder, (void)start;
#endif
    return found;
}

static void no_temporary_file_is_left(void)
{
    const char *tmp = getenv("LOCUS_TEST_TMP");
    CHECK(count_temporaries(tmp ? tmp : "/tmp", "locus_") == 0);
    CHECK(count_temporaries("/", "tmp.") == 0);
}

static void files_that_are_none_are_io_errors(void)
{
    locus_safetensors st;
    locus_array a;
    char path[700];
    CHECK_STATUS(LOCUS_ERR_IO, locus_safetensors_open(&st, "/nonexistent/file", &g_err));
    CHECK_STATUS(LOCUS_ERR_IO, locus_npy_open(&a, "/nonexistent/file", &g_err));
#ifndef _WIN32
    CHECK_STATUS(LOCUS_ERR_IO, locus_safetensors_open(&st, "/tmp", &g_err));
    CHECK_STATUS(LOCUS_ERR_IO, locus_npy_open(&a, "/tmp", &g_err));
    CHECK_STATUS(LOCUS_ERR_IO, locus_npy_open(&a, "/dev/null/x", &g_err));
#endif
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_npy_open(&a, NULL, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_npy_open(NULL, "x", &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_safetensors_open(NULL, "x", &g_err));
    strcpy(path, temp_path("locus_empty"));
    CHECK(spill(path, "", 0));
    CHECK_STATUS(LOCUS_ERR_FORMAT, locus_safetensors_open(&st, path, &g_err));
    CHECK_STATUS(LOCUS_ERR_FORMAT, locus_npy_open(&a, path, &g_err));
    remove(path);
    locus_array_close(&a);
    locus_array_close(NULL);
    locus_safetensors_close(&st);
    locus_safetensors_close(NULL);
    CHECK(g_blocks == 0);
}

static float f32(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

static void halves_convert_exactly(void)
{
    unsigned i;
    size_t bad = 0;
    for (i = 0; i < 65536; i++) {
        const unsigned e = i >> 10 & 31, m = i & 1023;
        const double want = e == 31 ? 0.0 : e ? ldexp(1024.0 + m, (int)e - 25) : ldexp(m, -24);
        const float got = locusi_f16_to_f32((uint16_t)i);
        if (e == 31 && m) bad += !locusi_is_nan(got);
        else if (e == 31) bad += locusi_f32_bits(got) != (i >> 15 ? 0xff800000u : 0x7f800000u);
        else bad += (double)got != (i >> 15 ? -want : want) || locusi_f32_bits(got) >> 31 != i >> 15;
    }
    CHECK(bad == 0);
}

static void all_float_types_convert_at_any_alignment(void)
{
    static const unsigned char raw[] = {0xaa, 0x00, 0x3c, 0x00, 0xfc, 0x01, 0x00,       // F16: 1, -inf, 2^-24
                                        0x80, 0x3f, 0x80, 0xff, 0xc0, 0x7f,             // BF16: 1, -inf, nan
                                        0,    0,    0,    0,    0,    0,    0xf8, 0xbf, // F64: -1.5
                                        1,    0,    0x80, 0x7f};                        // F32: a signalling nan
    float x[3];
    locus_tensor t = tensor("t", LOCUS_F16, 1, 3, 0, raw + 1);
    t.count = 3;
    CHECK_STATUS(LOCUS_OK, locus_tensor_to_f32(&t, 0, 3, x, &g_err));
    CHECK(x[0] == 1.0f && x[1] < -1e38f && x[2] == f32(0x33800000u));
    t.dtype = LOCUS_BF16;
    t.data = raw + 7;
    CHECK_STATUS(LOCUS_OK, locus_tensor_to_f32(&t, 0, 3, x, &g_err));
    CHECK(x[0] == 1.0f && !locusi_finite(x[1]) && locusi_is_nan(x[2]));
    t.dtype = LOCUS_F64, t.count = 1, t.data = raw + 13;
    CHECK_STATUS(LOCUS_OK, locus_tensor_to_f32(&t, 0, 1, x, &g_err));
    CHECK(x[0] == -1.5f);
    t.dtype = LOCUS_F32, t.data = raw + 21;
    CHECK_STATUS(LOCUS_OK, locus_tensor_to_f32(&t, 0, 1, x, &g_err));
    CHECK(locusi_f32_bits(x[0]) == 0x7f800001u);
}

// ---------------------------------------------------------------------------------------------------------- npy

static locus_status npy_raw(int major, int minor, const char *header, size_t claimed, size_t data, locus_array *keep,
                            unsigned char **block)
{
    const size_t n = strlen(header), start = major == 1 ? 10 : 12;
    unsigned char *p = (unsigned char *)malloc(start + n + data);
    locus_array a;
    locus_status s;
    size_t i;
    if (!p) exit(2);
    memcpy(p, "\x93NUMPY", 6);
    p[6] = (unsigned char)major;
    p[7] = (unsigned char)minor;
    for (i = 0; i < start - 8; i++) p[8 + i] = (unsigned char)(claimed >> 8 * i & 255);
    memcpy(p + start, header, n);
    for (i = 0; i < data; i++) p[start + n + i] = (unsigned char)(i % 3 + 1);
    s = locus_npy_parse(&a, p, start + n + data, &g_err);
    if (keep && !s) {
        *keep = a;
        *block = p;
        return s;
    }
    if (s) CHECK(a.data == NULL && a.owned == NULL && g_err.message[0]);
    locus_array_close(&a);
    free(p);
    return s;
}

static locus_status npy(const char *header, size_t data)
{
    return npy_raw(1, 0, header, strlen(header), data, NULL, NULL);
}

#define H(descr, order, shape) "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }\n"

static void every_npy_error_has_its_status(void)
{
    static const char *const bad[] = {"",
                                      "\n",
                                      "{}",
                                      "{",
                                      "[]",
                                      "{'descr': '<f4', 'fortran_order': False}",
                                      "{'descr': '<f4', 'shape': ()}",
                                      "{'fortran_order': False, 'shape': ()}",
                                      "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': 1}",
                                      "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}",
                                      H("'<f4'", "false", "()"),
                                      H("'<f4'", "0", "()"),
                                      H("'<f4'", "'False'", "()"),
                                      H("'<f4'", "False", "[]"),
                                      H("'<f4'", "False", "(-1,)"),
                                      H("'<f4'", "False", "(True,)"),
                                      H("'<f4'", "False", "(1.0,)"),
                                      H("'<f4'", "False", "(1)"),
                                      H("'<f4'", "False", "(,)"),
                                      H("'<f4'", "False", "(1,,)"),
                                      H("'<f4'", "False", "(1 1)"),
                                      H("'<f4'", "False", "(01,)"),
                                      H("'<f4'", "False", "1"),
                                      H("'<f4'", "False", "("),
                                      H("'<f4'", "False", "(1,1,1,1,1,1,1,1,1)"),
                                      H("<f4", "False", "()"),
                                      H("'<f4", "False", "()"),
                                      H("'<f4'", "False", "()") "x",
                                      "{'descr': '<f4' 'fortran_order': False, 'shape': ()}",
                                      "{'descr' '<f4', 'fortran_order': False, 'shape': ()}",
                                      "{,'descr': '<f4', 'fortran_order': False, 'shape': ()}",
                                      "{'descr': '<f4',, 'fortran_order': False, 'shape': ()}",
                                      "{'descr': '<f4', 'fortran_order': False, 'shape': ()",
                                      "{'d\\x65scr': '<f4', 'fortran_order': False, 'shape': ()}",
                                      "{'descr': ('<f4', (2,)), 'fortran_order': False, 'shape': ()}",
                                      "{'averyveryveryverylongkey': 1}"};
    static const char *const types[] = {"'>f4'", "'=f4'", "'|f4'", "'f4'",           "'<f16'", "'<c8'",
                                        "'|i1'", "'<i2'", "'<u4'", "'|O'",           "'<U3'",  "'|S1'",
                                        "''",    "'>u1'", "'>i8'", "[('a', '<f4')]", "'<f4 '"};
    char header[256];
    size_t i;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (!CHECK_STATUS(LOCUS_ERR_FORMAT, npy(bad[i], 4))) printf("    %s\n", bad[i]);
    for (i = 0; i < sizeof types / sizeof types[0]; i++) {
        sprintf(header, "{'descr': %s, 'fortran_order': False, 'shape': ()}", types[i]);
        if (!CHECK_STATUS(LOCUS_ERR_UNSUPPORTED, npy(header, 4))) printf("    %s\n", types[i]);
    }
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_npy_parse(NULL, "x", 1, &g_err));
    CHECK_STATUS(LOCUS_ERR_UNSUPPORTED, npy(H("'<f4'", "True", "(1,)"), 4));
    CHECK_STATUS(LOCUS_ERR_UNSUPPORTED, npy(H("'<f4'", "True", "()"), 4));
    CHECK_STATUS(LOCUS_ERR_FORMAT, npy(H("'<f4'", "False", "(2,)"), 7));
    CHECK_STATUS(LOCUS_ERR_FORMAT, npy(H("'<f4'", "False", "(2,)"), 9));
    CHECK_STATUS(LOCUS_ERR_FORMAT, npy(H("'<f4'", "False", "(0,)"), 1));
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, npy(H("'<f4'", "False", "(4194305, 4194305, 211106198978564)"), 16));
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, npy(H("'|u1'", "False", "(18446744073709551616,)"), 4));
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, npy(H("'<f8'", "False", "(4611686018427387904,)"), 4));
    CHECK_STATUS(LOCUS_ERR_OVERFLOW, npy(H("'|u1'", "False", "(0, 9223372036854775808, 4)"), 0));
    CHECK_STATUS(LOCUS_ERR_UNSUPPORTED, npy_raw(4, 0, "{}", 2, 0, NULL, NULL));
    CHECK_STATUS(LOCUS_ERR_UNSUPPORTED, npy_raw(1, 1, "{}", 2, 0, NULL, NULL));
    CHECK_STATUS(LOCUS_ERR_UNSUPPORTED, npy_raw(0, 0, "{}", 2, 0, NULL, NULL));
    CHECK_STATUS(LOCUS_ERR_FORMAT, npy_raw(1, 0, "{}", 3, 0, NULL, NULL));
    CHECK_STATUS(LOCUS_ERR_FORMAT, npy_raw(2, 0, "{}", 0xffffffffu, 0, NULL, NULL));
    CHECK_STATUS(LOCUS_ERR_FORMAT,
                 npy_raw(3, 0, H("'<f4'", "False", "(1L,)"), strlen(H("'<f4'", "False", "(1L,)")), 4, NULL, NULL));
}

static void npy_headers_of_all_writers_are_read(void)
{
    static const char *const good[] = {H("'<f4'", "False", "(2,)"),
                                       "{'shape':(2,),'fortran_order':False,'descr':'<f4'}",
                                       "{\"descr\": \"<f4\", 'fortran_order' : False,'shape': ( 2 , )}  \n",
                                       H("'<f4'", "False", "(1, 2)"),
                                       H("'<f4'", "False", "(2, 1, )"),
                                       H("'<f4'", "False", "(2L,)"),
                                       H("'<i4'", "False", "(1,1,1,2,1,1,1,1)"),
                                       H("'<f8'", "False", "()"),
                                       H("'|u1'", "False", "(8,)"),
                                       H("'<u1'", "False", "(8,)"),
                                       H("'|b1'", "False", "(2,4)"),
                                       H("'<i8'", "False", "(1,)"),
                                       H("'<f2'", "False", "(4,)")};
    size_t i;
    int major;
    for (i = 0; i < sizeof good / sizeof good[0]; i++)
        for (major = 1; major < 4; major++)
            if (major < 3 || !strstr(good[i], "L,"))
                if (!CHECK_STATUS(LOCUS_OK, npy_raw(major, 0, good[i], strlen(good[i]), 8, NULL, NULL)))
                    printf("    %s\n", good[i]);
    {
        locus_array a;
        unsigned char *block = NULL;
        float x[8];
        const char *h = H("'|b1'", "False", "(3,)");
        if (CHECK_STATUS(LOCUS_OK, npy_raw(1, 0, h, strlen(h), 3, &a, &block))) { // bytes 1 2 3: all true
            CHECK_STATUS(LOCUS_OK, locus_array_to_f32(&a, 0, 3, x, &g_err));
            CHECK(x[0] == 1.0f && x[1] == 1.0f && x[2] == 1.0f);
            locus_array_close(&a);
            free(block);
        }
    }
}

static void hostile_npy_bytes_do_no_harm(void)
{
    static const char header[] = H("'<f4'", "False", "(2, 1)");
    unsigned char p[10 + sizeof header - 1 + 8];
    const size_t bytes = sizeof p;
    size_t i;
    unsigned v;
    memcpy(p, "\x93NUMPY\x01\x00", 8);
    p[8] = sizeof header - 1;
    p[9] = 0;
    memcpy(p + 10, header, sizeof header - 1);
    memset(p + 10 + sizeof header - 1, 0, 8);
    for (i = 0; i < bytes; i++) {
        unsigned char *part = (unsigned char *)malloc(i ? i : 1);
        locus_array a;
        if (!part) exit(2);
        memcpy(part, p, i);
        CHECK(locus_npy_parse(&a, part, i, &g_err) != LOCUS_OK);
        free(part);
    }
    for (i = 0; i < bytes; i++) {
        unsigned char *copy = (unsigned char *)malloc(bytes);
        if (!copy) exit(2);
        memcpy(copy, p, bytes);
        for (v = 0; v < 256; v++) {
            locus_array a;
            copy[i] = (unsigned char)v;
            if (locus_npy_parse(&a, copy, bytes, &g_err) == LOCUS_OK) {
                float x[8];
                if (a.count <= 8) locus_array_to_f32(&a, 0, a.count, x, NULL);
                locus_array_close(&a);
            }
        }
        free(copy);
    }
    CHECK(g_blocks == 0);
}

static void npy_arrays_survive_a_round_trip(void)
{
    static const locus_dtype types[] = {LOCUS_U8, LOCUS_BOOL, LOCUS_I32, LOCUS_I64, LOCUS_F16, LOCUS_F32, LOCUS_F64};
    static const size_t shapes[4][3] = {{0, 0, 0}, {5, 0, 0}, {2, 3, 0}, {2, 0, 3}};
    double storage[16];
    unsigned char raw[128];
    char path[700];
    size_t i, rank, n;
    strcpy(path, temp_path("locus_round.npy"));
    for (i = 0; i < sizeof types / sizeof types[0]; i++)
        for (rank = 0; rank < 4; rank++) {
            locus_array a;
            unsigned char *file;
            const size_t size = locusi_dtype_bytes(types[i]), count = rank == 0 ? 1 : rank == 1 ? 5 : rank == 2 ? 6 : 0;
            for (n = 0; n < sizeof raw; n++) raw[n] = (unsigned char)(n * 7 + i);
            memcpy(storage, raw, sizeof storage);
            if (!CHECK_STATUS(LOCUS_OK, locus_npy_save(path, types[i], shapes[rank], rank, storage, &g_err))) continue;
            file = slurp(path, &n);
            CHECK(file && (n - count * size) % 64 == 0 && file[n - count * size - 1] == '\n');
            if (CHECK_STATUS(LOCUS_OK, locus_npy_open(&a, path, &g_err))) {
                CHECK(a.dtype == types[i] && a.rank == rank && a.count == count);
                CHECK(memcmp(a.data, storage, count * size) == 0);
                CHECK(a.owned == NULL || !locusi_host_is_little());
                locus_array_close(&a);
            }
            if (file && count) { // unaligned: a copy is made, and may fail
                unsigned char *off = (unsigned char *)malloc(n + 1);
                if (!off) exit(2);
                memcpy(off + 1, file, n);
                g_mallocs = 0;
                CHECK_STATUS(LOCUS_OK, locus_npy_parse(&a, off + 1, n, &g_err));
                CHECK((uintptr_t)a.data % size == 0 && memcmp(a.data, storage, count * size) == 0);
                CHECK(size == 1 || a.owned);
                locus_array_close(&a);
                g_mallocs = 0;
                g_fail_at = 1;
                CHECK_STATUS(size == 1 ? LOCUS_OK : LOCUS_ERR_MEMORY, locus_npy_parse(&a, off + 1, n, &g_err));
                g_fail_at = 0;
                locus_array_close(&a);
                free(off);
            }
            free(file);
        }
    remove(path);
    CHECK(g_blocks == 0);
}

static void arrays_convert_to_float(void)
{
    static const int64_t i64[2] = {-3, 1ll << 40};
    static const double f64[2] = {0.5, -1e300};
    float x[2];
    locus_array a;
    memset(&a, 0, sizeof a);
    a.count = 2;
    a.dtype = LOCUS_I64, a.data = i64;
    CHECK_STATUS(LOCUS_OK, locus_array_to_f32(&a, 0, 2, x, &g_err));
    CHECK(x[0] == -3.0f && x[1] == 1099511627776.0f);
    a.dtype = LOCUS_F64, a.data = f64;
    CHECK_STATUS(LOCUS_OK, locus_array_to_f32(&a, 0, 2, x, &g_err));
    CHECK(x[0] == 0.5f && !locusi_finite(x[1]));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_array_to_f32(&a, 1, 2, x, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_array_to_f32(&a, SIZE_MAX, 1, x, &g_err));
    CHECK_STATUS(LOCUS_ERR_ARGUMENT, locus_array_to_f32(&a, 0, 1, NULL, &g_err));
    a.dtype = LOCUS_DTYPE_OTHER;
    CHECK_STATUS(LOCUS_ERR_UNSUPPORTED, locus_array_to_f32(&a, 0, 1, x, &g_err));
}

// ---------------------------------------------------------------------------------------------------- messages

static int text_is(double x, const char *want)
{
    char text[64];
    locusi_text(text, sizeof text, "%f", x);
    if (strcmp(text, want) != 0) printf("    %s, not %s\n", text, want);
    return strcmp(text, want) == 0;
}

static void messages_are_clean_and_complete(void)
{
    locus_error e;
    char small[8], longtext[300];
    int s;
    CHECK(text_is(1.5, "1.5") && text_is(0, "0") && text_is(-0.001, "-0.001") && text_is(1e30, "1e+30") &&
          text_is(0.1, "0.1"));
    CHECK(text_is(123456, "123456") && text_is(1234567, "1234570") && text_is(1.25e-9, "1.25e-09") &&
          text_is(1e300, "1e+300"));
    CHECK(text_is(999999.5, "1000000") && text_is(5e-324, "4.94066e-324") && text_is(100, "100") &&
          text_is(1.7976931348623157e308, "1.79769e+308"));
    CHECK(text_is((double)f32(0x3f800001u), "1.00000012") && text_is(0.99999999, "0.99999999") && text_is(-2, "-2") &&
          text_is(99999.9999, "99999.9999") && text_is(3.0000000000000004, "3") && text_is(0.9999999999, "1") &&
          text_is(12345.1, "12345.1") && text_is(100000.4, "100000")); // what is no bound is not shown as one
    CHECK(text_is((double)f32(0x7fc00000u), "nan") && text_is((double)f32(0xff800000u), "-inf") &&
          text_is((double)f32(0x7f800000u), "inf"));
    CHECK(LOCUS_ERR_SCORE == locusi_fail(&e, LOCUS_ERR_SCORE, "%s[%z]", "%u%%", "%d %x", "a\n\xff\xc3\xa9\x7f",
                                         (size_t)7, (uint64_t)UINT64_MAX, INT_MIN, (uint64_t)0xabc));
    CHECK(strcmp(e.message, "a??\xc3\xa9?[7]: score outside [0,1]: expected 18446744073709551615%, found -2147483648 "
                            "0000000000000abc") == 0);
    CHECK(LOCUS_ERR_SCORE == locusi_fail(&e, LOCUS_ERR_SCORE, "", "", ""));
    CHECK(strcmp(e.message, "score outside [0,1]") == 0);
    CHECK(LOCUS_ERR_SCORE == locusi_fail(NULL, LOCUS_ERR_SCORE, "", "", ""));
    locusi_text(small, sizeof small, "%s", "abcdef\xc3\xa9gh");
    CHECK(strcmp(small, "abcdef") == 0); // never half a character, nothing behind the cut
    memset(longtext, 'x', sizeof longtext - 1);
    longtext[sizeof longtext - 1] = 0;
    locusi_fail(&e, LOCUS_ERR_SCORE, "%s", "%s", "%s", longtext, longtext, longtext);
    CHECK(strlen(e.where) == sizeof e.where - 1 || strlen(e.where) == 0 || strlen(e.where) < sizeof e.where);
    CHECK(strlen(e.message) < sizeof e.message && strlen(e.message) > 200);
    for (s = 0; s < (int)LOCUS_STATUS_COUNT; s++) CHECK(strncmp(locus_status_name((locus_status)s), "LOCUS_", 6) == 0);
    CHECK(locus_status_name((locus_status)LOCUS_STATUS_COUNT) && locus_status_name((locus_status)-1));
    CHECK(strcmp(locus_version(), LOCUS_VERSION) == 0);
}

// -------------------------------------------------------------------------------------------------- real files

#ifndef _WIN32
static size_t open_all(const char *folder, int depth)
{
    DIR *dir = opendir(folder);
    struct dirent *e;
    size_t opened = 0;
    while (dir && (e = readdir(dir)) != NULL) {
        char path[1024];
        const char *end = strrchr(e->d_name, '.');
        if (e->d_name[0] == '.' || strlen(folder) + strlen(e->d_name) > 1000) continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, e->d_name) >= (int)sizeof path) continue;
        if (end && strcmp(end, ".safetensors") == 0) {
            locus_safetensors st;
            if (CHECK_STATUS(LOCUS_OK, locus_safetensors_open(&st, path, &g_err))) locus_safetensors_close(&st);
            else printf("    %s\n", path);
            opened++;
        } else if (end && strcmp(end, ".npy") == 0) {
            locus_array a;
            if (CHECK_STATUS(LOCUS_OK, locus_npy_open(&a, path, &g_err))) locus_array_close(&a);
            else printf("    %s\n", path);
            opened++;
        } else if (depth < 6) {
            opened += open_all(path, depth + 1);
        }
    }
    if (dir) closedir(dir);
    return opened;
}
#endif

static void real_files_open(void)
{
#ifndef _WIN32
    static const char *const folders[] = {"../shared/golden", "../shared/golden-train", "../shared/data",
                                          "../shared/checkpoints", "tests/golden"}; // not ../shared/found: bad files
    size_t i;
    for (i = 0; i < 2; i++) {
        const size_t n = open_all(folders[i], 0);
        if (n) printf("%s: %lu files opened\n", folders[i], (unsigned long)n);
        else printf("%s: no files there, skipped\n", folders[i]);
    }
#endif
}

static const test_case tests[] = {
    TEST(framing_errors_are_told_apart),
    TEST(invalid_utf8_is_refused),
    TEST(invalid_json_is_refused),
    TEST(nesting_is_limited),
    TEST(duplicate_keys_are_refused),
    TEST(bad_entries_are_refused),
    TEST(bad_metadata_is_refused),
    TEST(bad_geometry_is_refused),
    TEST(what_the_format_allows_is_accepted),
    TEST(every_prefix_is_refused),
    TEST(no_flipped_byte_does_harm),
    TEST(the_callers_memory_is_enough_and_no_less),
    TEST(a_hundred_thousand_tensors_are_quick_and_the_limit),
    TEST(memory_that_runs_out_is_reported_and_freed),
    TEST(what_is_saved_is_read_back),
    TEST(a_refused_save_leaves_the_old_file_whole),
    TEST(files_that_are_none_are_io_errors),
    TEST(halves_convert_exactly),
    TEST(all_float_types_convert_at_any_alignment),
    TEST(every_npy_error_has_its_status),
    TEST(npy_headers_of_all_writers_are_read),
    TEST(hostile_npy_bytes_do_no_harm),
    TEST(npy_arrays_survive_a_round_trip),
    TEST(arrays_convert_to_float),
    TEST(no_temporary_file_is_left),
    TEST(messages_are_clean_and_complete),
    TEST(real_files_open),
};

MAIN(tests)
