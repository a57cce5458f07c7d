// SPDX-License-Identifier: MIT
// locus.h 0.4.0: model embeddings from evaluations, correctness prediction, routing and training, in one C header.
// The method: Patel, Cocke, Joshi, "LOCUS", arXiv 2601.21082. No dependency but libc and libm. Licence at the end.
//
// In ONE source file, then plainly everywhere else:
//
//     #define LOCUS_IMPLEMENTATION
//     #include "locus.h"
//
// A complete program (cc -O2 app.c -lm): which of the models in a router file should answer this query?
//
//     #define LOCUS_IMPLEMENTATION
//     #include "locus.h"
//     #include <stdio.h>
//     #include <stdlib.h>
//
//     int main(int argc, char **argv)
//     {
//         locus_error err;
//         locus_net *net;
//         locus_pool *pool;
//         locus_array q; // query encodings, float32 [n, q_dim]
//         if (argc != 3) return 2;
//         if (locus_net_open(&net, argv[1], NULL, &err) || locus_pool_open(&pool, net, argv[1], &err) ||
//             locus_npy_open(&q, argv[2], &err) || q.dtype != LOCUS_F32) {
//             fprintf(stderr, "%s\n", err.message);
//             return 1;
//         }
//         locus_queries queries = {(const float *)q.data, q.shape[0], q.shape[1], 0};
//         size_t bytes = locus_route_workspace(pool, queries.count, NULL);
//         locus_choice *best = (locus_choice *)malloc(queries.count * sizeof *best);
//         void *work = malloc(bytes);
//         if (locus_route(pool, &queries, NULL, best, NULL, work, bytes, &err)) return 1;
//         for (size_t i = 0; i < queries.count; i++)
//             printf("%s (%.0f %%)\n", locus_pool_model(pool, best[i].model)->name, 100.0 * best[i].probability);
//         return 0;
//     }
//
// Contents (search for the tag):
//     >>config      macros that change what is compiled
//     >>api         types and functions; a reader who only uses the library can stop at its end
//     >>base        checked arithmetic, error messages, small helpers
//     >>safetensors reader and writer; >>npy arrays
//     >>isa         which instruction sets this machine has
//     >>kernels     the arithmetic, written once, and >>vocabulary, in which it is compiled for each instruction set
//     >>threads     the built-in thread pool
//     >>text        texts -> query encodings
//     >>net         loading and packing a net
//     >>encoder     evaluation sets -> model embeddings
//     >>texts       files of texts; learning the text encoder
//     >>recall      what happened on the evaluated queries, as a kernel regression
//     >>pool        models, their embeddings and what is known of them
//     >>predictor   logits;  >>route  costs and choices, >>screen which models are worth a logit
//     >>metrics     figures of merit;  >>frontier  quality against money
//     >>calibration >>points and distances >>neighbours >>clusters >>portfolio >>search >>compare
//     >>uncertainty >>guard >>duplicates >>next >>explain >>log     what a pool is good for besides routing
//     >>train       backward pass, optimiser, the training loop and its state
//     >>licence
//
// Words. A *query encoding* is the vector that a sentence encoder gives for a query (q_dim floats). A *score* in
// [0,1] says how well a model answered it. A model's *evaluation set* is any number of (encoding, score) pairs.
// The *encoder* turns such a set into the *model embedding* z (z_dim floats); the *predictor* turns z and an encoding
// into a logit, whose sigmoid is the chance that the model answers that query right. A *pool* is a list of models.
// All matrices are row-major ("C order"), all sizes are in elements unless a name says bytes.

#if !defined(LOCUSI_KERNEL_PASS) // the file includes itself to compile the kernels for each instruction set
#ifndef LOCUS_H
#define LOCUS_H

// ------------------------------------------------------------------------------------------------------ >>config
// Define before the include that has LOCUS_IMPLEMENTATION (LOCUS_STATIC and LOCUS_API: before every include).
//
//   LOCUS_IMPLEMENTATION   compile the bodies here; in exactly one translation unit (in each, with LOCUS_STATIC)
//   LOCUS_STATIC           all functions are static: private to the translation unit
//   LOCUS_API              linkage of the public functions, e.g. __declspec(dllexport); default: extern
//   LOCUS_MALLOC(bytes), LOCUS_FREE(pointer)
//                          where memory comes from when the caller hands none in; define both or none
//   LOCUS_NO_MALLOC        there is no heap: files, nets and pools are built in the caller's memory, and what allocates
//                          while it works (it says so) fails with LOCUS_ERR_MEMORY
//   LOCUS_ASSERT(x)        checks of internal invariants; default: nothing. Bad arguments and files never reach it
//   LOCUS_NO_STDIO         no files: the functions that take a path are left out; all work on memory blocks
//   LOCUS_NO_MMAP          files are read, not mapped
//   LOCUS_NO_THREADS       no built-in thread pool; a caller's own (locus_parallel) still works
//   LOCUS_NO_SIMD          only the portable kernels; not even the vendor headers are included
//   LOCUS_INFERENCE_ONLY   only predict and route: leaves the encoder, metrics, training, exploring and all writers out
//                          and loads the predictor alone of a net's file
//   LOCUS_NO_TRAIN         leaves training out
//   LOCUS_NO_EXPLORE       leaves out all that explores, compares and selects (from locus_pool_calibrate on)
//   LOCUS_HEADER           how this file includes itself, default "locus.h"; define it if you rename the file
//
// Under -ffast-math bad input is refused and missing scores are missing as without; that results have the same bits in
// every order, batching and number of threads holds only without it.

#include <stddef.h>
#include <stdint.h>

#define LOCUS_VERSION_MAJOR 0
#define LOCUS_VERSION_MINOR 3
#define LOCUS_VERSION_PATCH 0
#define LOCUS_VERSION "0.4.0"

#if defined(LOCUS_INFERENCE_ONLY) && !defined(LOCUS_NO_TRAIN)
#define LOCUS_NO_TRAIN
#endif
#if defined(LOCUS_INFERENCE_ONLY) && !defined(LOCUS_NO_EXPLORE)
#define LOCUS_NO_EXPLORE
#endif

#ifdef LOCUS_STATIC
#undef LOCUS_API
#if defined(__GNUC__) || defined(__clang__)
#define LOCUS_API static __attribute__((unused))
#else
#define LOCUS_API static
#endif
#elif !defined(LOCUS_API)
#define LOCUS_API extern
#endif

#ifdef __cplusplus
extern "C" {
#endif

// --------------------------------------------------------------------------------------------------------- >>api

// ---- errors
//
// Every function that can fail returns a locus_status, LOCUS_OK (0) or one of the list, and writes the reason into the
// caller's locus_error (the last argument, may be NULL). Nothing is printed, errno is not used. On failure, output
// pointers of open/create functions are NULL and output arrays hold unspecified values.
#define LOCUS_STATUS_LIST(X)                                                                                           \
    X(LOCUS_OK, "no error")                                                                                            \
    X(LOCUS_ERR_ARGUMENT, "invalid argument")                                                                          \
    X(LOCUS_ERR_MEMORY, "out of memory")                                                                               \
    X(LOCUS_ERR_ISA, "instruction set not available on this machine")                                                  \
    X(LOCUS_ERR_CANCELLED, "cancelled by the caller")                                                                  \
    X(LOCUS_ERR_IO, "file cannot be opened, read or written")                                                          \
    X(LOCUS_ERR_FORMAT, "file malformed")                                                                              \
    X(LOCUS_ERR_UNSUPPORTED, "well formed, but not supported here")                                                    \
    X(LOCUS_ERR_OVERFLOW, "a size overflows")                                                                          \
    X(LOCUS_ERR_METADATA, "metadata entry missing or invalid")                                                         \
    X(LOCUS_ERR_TENSOR, "tensor missing, not expected or of the wrong shape")                                          \
    X(LOCUS_ERR_NONFINITE_WEIGHT, "weight is NaN, infinite or absurdly large")                                         \
    X(LOCUS_ERR_HASH, "weights do not match the stored hash")                                                          \
    X(LOCUS_ERR_MISMATCH, "made for another net, query encoder, data or options")                                      \
    X(LOCUS_ERR_QUERY_DIM, "encodings have the wrong length")                                                          \
    X(LOCUS_ERR_NO_ENCODER, "the file has a predictor but no encoder")                                                 \
    X(LOCUS_ERR_NO_POOL, "the file has no pool")                                                                       \
    X(LOCUS_ERR_POOL, "pool data invalid")                                                                             \
    X(LOCUS_ERR_NAME, "model name invalid, unknown or already taken")                                                  \
    X(LOCUS_ERR_EMPTY_SET, "model has no evaluation")                                                                  \
    X(LOCUS_ERR_SCORE, "score outside [0,1]")                                                                          \
    X(LOCUS_ERR_NONFINITE, "encoding or logit is NaN, infinite or absurdly large")                                     \
    X(LOCUS_ERR_NO_CANDIDATE, "no model is available within the limits")                                               \
    X(LOCUS_ERR_BUDGET, "budget is below the cheapest choice")                                                         \
    X(LOCUS_ERR_DIVERGED, "training diverged: a number is not finite")

#define LOCUSI_ENUM(name, text) name,
typedef enum locus_status { LOCUS_STATUS_LIST(LOCUSI_ENUM) LOCUS_STATUS_COUNT } locus_status;
#undef LOCUSI_ENUM

typedef struct locus_error {
    locus_status status;
    size_t bytes;      // LOCUS_ERR_MEMORY: what the call would need in run->memory; else 0
    char where[96];    // tensor, file, key or argument concerned; "" where none applies
    char expected[96]; // "" where it does not apply
    char found[96];
    char message[512]; // one line made of all of these; valid UTF-8, always terminated
} locus_error;

// Name of a status, "LOCUS_ERR_SCORE". Never NULL.
LOCUS_API const char *locus_status_name(locus_status status);

// LOCUS_VERSION of the implementation that was linked.
LOCUS_API const char *locus_version(void);

// ---- instruction sets
//
// The kernels are chosen when a net is opened: the best the machine has, or the one asked for. No global state.
// Results are bit-identical for one instruction set and agree across sets to 1e-5 of an embedding's norm.
typedef enum locus_isa {
    LOCUS_ISA_AUTO = 0,
    LOCUS_ISA_SCALAR, // portable C
    LOCUS_ISA_AVX2,   // AVX2 + FMA
    LOCUS_ISA_AVX512, // AVX-512 F, DQ, BW, VL
    LOCUS_ISA_NEON,   // AArch64
    LOCUS_ISA_COUNT
} locus_isa;

// "auto", "scalar", "avx2", "avx512", "neon"; NULL if there is no such set.
LOCUS_API const char *locus_isa_name(locus_isa isa);
// 1 if its kernels are compiled in and this machine can run them.
LOCUS_API int locus_isa_supported(locus_isa isa);

// ---- threads
//
// Work is spread by a "parallel for": run(user, task, arg, count) calls task(arg, i) once for each i in [0, count),
// in any order, on any threads, and returns when all are done. count is at most `threads`. Use your own (OpenMP,
// GCD, ...) or the built-in pool. Where a locus_parallel is NULL everything runs on the calling thread.
// Results do not depend on it in any bit.
typedef struct locus_parallel {
    size_t threads;
    void (*run)(void *user, void (*task)(void *arg, size_t index), void *arg, size_t count);
    void *user;
} locus_parallel;

#ifndef LOCUS_NO_THREADS
typedef struct locus_threads locus_threads;
// Start a pool of `count` threads, the caller's included (0: as many as processors). One call at a time may use it.
// Allocates.
// Fails with LOCUS_ERR_MEMORY; on systems without POSIX threads it works with one thread.
LOCUS_API locus_status locus_threads_create(locus_threads **out, size_t count, locus_error *err);
// What to put into the options. Valid as long as the pool.
LOCUS_API const locus_parallel *locus_threads_parallel(const locus_threads *threads);
// Stop and free. NULL is fine.
LOCUS_API void locus_threads_destroy(locus_threads *threads);
#endif

// ---- how to run
//
// The last but one argument of every function that does real work: NULL, or all zero, is fine.
typedef struct locus_run {
    const locus_parallel *parallel; // NULL: on the calling thread alone
    locus_isa isa;                  // 0: the best this machine has
    // Called now and then, done of total, never from two threads at once; nonzero: stop with LOCUS_ERR_CANCELLED.
    int (*progress)(void *user, size_t done, size_t total);
    void *user;
    // Where the call works, any alignment. NULL: it allocates and frees. Else it allocates nothing; what it makes
    // stands there, too. Too little: LOCUS_ERR_MEMORY, and err->bytes says how many bytes it takes.
    void *memory;
    size_t memory_bytes;
} locus_run;

// ---- arrays (.npy, versions 1.0 to 3.0, little-endian, C order)
//
// Arrays and parsed files are plain views, never changed after they are opened: any number of threads may read them.

typedef enum locus_dtype {
    LOCUS_U8 = 1,     // npy u1
    LOCUS_BOOL,       // npy b1, safetensors BOOL
    LOCUS_I32,        // i4
    LOCUS_I64,        // i8
    LOCUS_F16,        // f2
    LOCUS_BF16,       // safetensors only
    LOCUS_F32,        // f4
    LOCUS_F64,        // f8
    LOCUS_DTYPE_OTHER // known to safetensors, passed through but not interpreted
} locus_dtype;

typedef struct locus_file {
    const unsigned char *data;
    size_t bytes;
    int owner; // 0: the caller's memory, 1: LOCUS_MALLOC, 2: mapped
} locus_file;

typedef struct locus_array {
    locus_dtype dtype;
    size_t rank;      // 0 (one number) to 8
    size_t shape[8];  // 1 beyond rank
    size_t count;     // product of shape
    const void *data; // aligned for the type and in the machine's byte order; inside the file where possible
    void *owned;      // NULL, or a converted copy (big-endian machines, unaligned data)
    locus_file file;
} locus_array;

// View the array in a memory block, which must outlive it. Allocates where a converted copy is needed. Fails:
// LOCUS_ERR_NPY_*, _OVERFLOW, _MEMORY.
// Safe on untrusted bytes: never reads outside [data, data + bytes).
LOCUS_API locus_status locus_npy_parse(locus_array *out, const void *data, size_t bytes, locus_error *err);
// Convert elements [first, first + count) to float. F16, F32, F64 and all integer types; booleans become 0 and 1.
LOCUS_API locus_status locus_array_to_f32(const locus_array *a, size_t first, size_t count, float *out,
                                          locus_error *err);
#ifndef LOCUS_NO_STDIO
// The same from a file, mapped where the system can, else read into a block allocated for it. Close with
// locus_array_close.
LOCUS_API locus_status locus_npy_open(locus_array *out, const char *path, locus_error *err);
#ifndef LOCUS_INFERENCE_ONLY
// Write an array as .npy version 1.0 (allocates nothing). The file appears whole or not at all. dtype: U8, BOOL, I32,
// I64, F16, F32, F64.
LOCUS_API locus_status locus_npy_save(const char *path, locus_dtype dtype, const size_t *shape, size_t rank,
                                      const void *data, locus_error *err);
#endif
#endif
LOCUS_API void locus_array_close(locus_array *a);

// ---- safetensors

typedef struct locus_tensor {
    const char *name; // UTF-8, unescaped, terminated; owned by the file object
    locus_dtype dtype;
    const char *dtype_name; // as in the file: "F32", "BF16", ...
    size_t rank;
    size_t shape[8]; // 1 beyond rank
    size_t count;    // product of shape
    size_t bytes;
    const void *data; // zero-copy: inside the file, little-endian, alignment not guaranteed
} locus_tensor;

typedef struct locus_metadata {
    const char *key, *value; // UTF-8, unescaped, terminated
} locus_metadata;

typedef struct locus_safetensors {
    locus_tensor *tensors; // in the order of their data
    size_t tensor_count;
    locus_metadata *metadata; // in the order of the file
    size_t metadata_count;
    locus_file file;
    void *owned; // the one allocation behind names and lists
} locus_safetensors;

// Parse strictly: every rule of the format is checked, and OK means that all views are in bounds. Safe on untrusted
// bytes: never reads outside [data, data + bytes), allocates at most a small multiple of the header. data must outlive
// it. Fails: LOCUS_ERR_FORMAT, _METADATA, _OVERFLOW, _MEMORY.
LOCUS_API locus_status locus_safetensors_parse(locus_safetensors *out, const void *data, size_t bytes,
                                               const locus_run *run, locus_error *err);
LOCUS_API void locus_safetensors_close(locus_safetensors *st);
// NULL if there is none of that name.
LOCUS_API const locus_tensor *locus_safetensors_find(const locus_safetensors *st, const char *name);
LOCUS_API const char *locus_safetensors_meta(const locus_safetensors *st, const char *key);
// Elements [first, first + count) as float, from F32, F16, BF16 or F64, any alignment, any byte order of the machine.
LOCUS_API locus_status locus_tensor_to_f32(const locus_tensor *t, size_t first, size_t count, float *out,
                                           locus_error *err);
#ifndef LOCUS_NO_STDIO
// A file parsed, mapped where the system can, else read; allocates.
LOCUS_API locus_status locus_safetensors_open(locus_safetensors *out, const char *path, locus_error *err);
#ifndef LOCUS_INFERENCE_ONLY
// Write tensors (name, dtype_name or dtype, rank, shape, data; bytes and count are computed for known dtypes) and
// metadata. Data is little-endian as in the views. Names and keys must be unique, valid UTF-8, not "__metadata__".
// The file appears whole or not at all. Allocates a list beyond 256 tensors or metadata entries.
LOCUS_API locus_status locus_safetensors_save(const char *path, const locus_tensor *tensors, size_t tensor_count,
                                              const locus_metadata *metadata, size_t metadata_count, locus_error *err);
#endif
#endif

// ---- the net: encoder and predictor weights
//
// A locus_net is read-only once made: any number of threads may use it at the same time.

typedef struct locus_net locus_net;

typedef struct locus_net_opts {
    locus_isa isa;       // 0: the best this machine has
    int predictor_only;  // 1: do not load an encoder even if the file has one (less memory)
    void *memory;        // build the net here (any alignment); NULL: allocate
    size_t memory_bytes; // at least locus_net_memory()
} locus_net_opts;

typedef enum locus_encoder_kind { LOCUS_ISAB = 0, LOCUS_SAB = 1 } locus_encoder_kind;

typedef struct locus_net_info {
    size_t q_dim, z_dim, n_heads, n_layers, m_induce, decoder_hidden;
    locus_encoder_kind encoder_kind;
    int has_encoder;
    locus_isa isa;             // of the kernels in use
    uint64_t hash;             // of all weights, encoder and predictor; what a pool remembers of its net
    uint64_t encoder_hash;     // of the encoder's weights alone
    const char *query_encoder; // metadata "query_encoder": which sentence encoder; "" if the file does not say
    double recall_weight;      // metadata "memory_weight", in percent: what suited a memory beside this net on the
                               // training's validation queries; 0: the file does not say
    size_t parameters;         // number of weights in memory
    size_t bytes;              // memory that the net takes
} locus_net_info;

// Build a net from a parsed file (the authors' names and shapes, method.md); the file may be closed afterwards.
// Fails: LOCUS_ERR_METADATA, _TENSOR_MISSING, _TENSOR_SURPLUS, _TENSOR_SHAPE, _DTYPE_UNSUPPORTED, _HEADS,
// _NONFINITE_WEIGHT, _HASH, _ENCODER_MISMATCH, _ISA, _MEMORY, _WORKSPACE. opts may be NULL. Allocates without
// opts->memory.
LOCUS_API locus_status locus_net_create(locus_net **out, const locus_safetensors *st, const locus_net_opts *opts,
                                        locus_error *err);
// Bytes that locus_net_create needs in opts->memory for this file; 0 if the file is no net (create says why).
LOCUS_API size_t locus_net_memory(const locus_safetensors *st, const locus_net_opts *opts);
#ifndef LOCUS_NO_STDIO
// Both from a path; allocates while it works, too.
LOCUS_API locus_status locus_net_open(locus_net **out, const char *path, const locus_net_opts *opts, locus_error *err);
#endif
LOCUS_API void locus_net_destroy(locus_net *net);
LOCUS_API locus_net_info locus_net_get_info(const locus_net *net);

// ---- query encodings from texts (>>text specifies it exactly)
//
// A query encoder without a foreign model: words, pairs of words and parts of unknown words are looked up in a small
// table learned from texts (locus_text_train), or, table-free, hashed. All in integers: the same bits on every machine.

enum { LOCUS_TEXT_MAX_DIM = 1024, LOCUS_TEXT_MAX_ROWS = 65536, LOCUS_TEXT_NAME_BYTES = 32, LOCUS_TEXT_PROBES = 3 };

// A plain view, never changed. All zero but `dim`: table-free.
typedef struct locus_text {
    size_t dim;               // floats in an encoding, 1 to LOCUS_TEXT_MAX_DIM
    size_t rows;              // of the table, at most LOCUS_TEXT_MAX_ROWS; 0: table-free
    const uint32_t *keys;     // [rows] hash of each row's feature, strictly ascending
    const uint16_t *weights;  // [rows]
    const signed char *table; // [rows, dim]
} locus_text;

// out[dim] <- encoding of a text: unit length, each number a multiple of 2^-24. Any bytes are welcome: UTF-8 is
// expected, other bytes separate words like spaces; bytes may be 0 (text may then be NULL), NUL is a byte like others.
// Takes microseconds and about 20 KB of stack, does not allocate; time grows linearly with the text.
// Fails: LOCUS_ERR_ARGUMENT.
LOCUS_API locus_status locus_encode_text(const locus_text *encoder, const char *text, size_t bytes, float *out,
                                         locus_error *err);
// The text encoder that a net carries (metadata "query_encoder": "locus-text-1/..."); NULL if its queries are encoded
// by something else. Lives as long as the net.
LOCUS_API const locus_text *locus_net_text(const locus_net *net);
// name <- "locus-text-1/" and the fingerprint in 16 hex digits: a hash of the encodings of the probe texts. This is the
// net's query_encoder; a net whose tables give another fingerprint is refused (LOCUS_ERR_MISMATCH).
// Fails: LOCUS_ERR_ARGUMENT.
LOCUS_API locus_status locus_text_name(const locus_text *encoder, char name[LOCUS_TEXT_NAME_BYTES], locus_error *err);
// The probe texts, terminated; NULL unless index < LOCUS_TEXT_PROBES.
LOCUS_API const char *locus_text_probe(size_t index);

// Texts of a JSON-lines file, one object a line: "text" (a string; needed where there is no category), "id" (a string
// or number), "category" (a string); other keys are passed over, as are empty lines. One block of memory.
typedef struct locus_texts {
    size_t count;
    const char *const *texts; // [count] UTF-8, terminated, no NUL inside; NULL where a line has none
    const size_t *bytes;      // [count] their lengths
    const char *const *ids;   // [count] "" where a line has none
    const char *const *categories;
    void *owned;
} locus_texts;

// Copies what it keeps. Safe on untrusted bytes: never reads outside [data, data + bytes), allocates about their size
// and 32 bytes a line. Fails: LOCUS_ERR_FORMAT and _DUPLICATE_KEY (name the line), _ARGUMENT, _MEMORY.
LOCUS_API locus_status locus_texts_parse(locus_texts *out, const void *data, size_t bytes, locus_error *err);
#ifndef LOCUS_NO_STDIO
LOCUS_API locus_status locus_texts_open(locus_texts *out, const char *path, locus_error *err);
#endif
LOCUS_API void locus_texts_close(locus_texts *texts);

#ifndef LOCUS_NO_TRAIN
typedef struct locus_text_train_opts {
    size_t dim;        // 0: 128
    size_t rows;       // at most; 0: 12288 (with dim 128: 1.65 MB in the file)
    size_t iterations; // of the subspace; 0: 4
    uint64_t seed;
    const locus_parallel *parallel;
    int (*progress)(void *user, size_t done, size_t total); // on the calling thread; return nonzero to stop
    void *user;
} locus_text_train_opts;

// *out <- an encoder learned from `count` texts alone (no scores): of the features that at least two of them share,
// the most frequent get rows; the rows are the leading right singular vectors of the texts' weighted features.
// 8,000 questions take about ten seconds on one core. The same on every run and for every number of threads. Allocates
// one block for the result, one to work in. bytes NULL: texts end at their NUL. opts may be NULL. Fails:
// LOCUS_ERR_ARGUMENT (also if no two texts share anything), _OVERFLOW, _MEMORY, _CANCELLED.
LOCUS_API locus_status locus_text_train(locus_text **out, const char *const *texts, const size_t *bytes, size_t count,
                                        const locus_text_train_opts *opts, locus_error *err);
LOCUS_API void locus_text_destroy(locus_text *encoder);
// The encoder as the tensors text.keys, text.weights, text.table for locus_safetensors_save; *count <- 3, or 0 if it is
// table-free. scratch: 6 * rows bytes for keys and weights in the file's byte order; must live as long as the tensors.
// The file needs locus_text_name as metadata "query_encoder" as well. Fails: LOCUS_ERR_ARGUMENT, _WORKSPACE.
LOCUS_API locus_status locus_text_tensors(const locus_text *encoder, locus_tensor tensors[3], size_t *count,
                                          void *scratch, size_t scratch_bytes, locus_error *err);
#endif

// ---- query encodings

typedef struct locus_queries {
    const float *encodings; // [count, dim], finite
    size_t count;
    size_t dim;    // must equal the net's q_dim
    size_t stride; // floats from one row to the next; 0: dim
} locus_queries;

// What models answered: row m, column i is how well model m did on query i. All zero but what is given.
typedef struct locus_scores {
    size_t models;             // rows, M
    size_t count;              // columns, n; in locus_evals 0 stands for queries.count
    size_t stride;             // numbers from one row to the next; 0: count
    const float *f32;          // [M, n] in [0,1], NaN = missing; or NULL and
    const unsigned char *u8;   // [M, n] 0, 1 or 255 = missing
    const unsigned char *mask; // [M, n] 0 = not evaluated; NULL: all are
} locus_scores;

// Evaluations: one table of query encodings, shared by all models, and one row of scores for each model.
typedef struct locus_evals {
    locus_queries queries; // the table, n rows
    locus_scores scores;
} locus_evals;

#ifndef LOCUS_INFERENCE_ONLY
// ---- encoder: evaluation sets -> embeddings (method.md, "Encoder")
//
// A single model is `scores.models` = 1. A missing score (NaN, or 255 in bytes) or a mask of 0 is as if the evaluation
// did not exist: neither its score nor, if no model has it, its encoding is looked at.
typedef enum locus_encode_path {
    LOCUS_ENCODE_AUTO = 0, // fast where its workspace is at most 1 GiB, else streaming (sab: always fast)
    LOCUS_ENCODE_FAST,     // keeps what the models share and each model's tokens: about 5 KB an evaluation
    LOCUS_ENCODE_STREAMING // working memory independent of n; isab only
} locus_encode_path;

typedef struct locus_encode_opts {
    locus_encode_path path;
    const locus_parallel *parallel;
    // Called now and then, done of total, from any of the working threads but never from two at once; return
    // nonzero to stop.
    int (*progress)(void *user, size_t done, size_t total);
    void *user;
} locus_encode_opts;

// z[M, z_dim] <- embeddings. Bit-identical for every order of the evaluations, every split into calls, both paths and
// every number of threads: sums over evaluations are exact integer sums (see >>encoder). Does not allocate.
//
// opts may be NULL; work: locus_encode_workspace bytes, any alignment.
// Fails: LOCUS_ERR_ARGUMENT, _NO_ENCODER, _QUERY_DIM, _EMPTY_SET (names the model), _SCORE and _NONFINITE_INPUT (say
// which), _WORKSPACE, _CANCELLED. All input is checked before any work is done.
LOCUS_API locus_status locus_encode(const locus_net *net, const locus_evals *evals, float *z,
                                    const locus_encode_opts *opts, void *work, size_t work_bytes, locus_error *err);
// Bytes for that; looks at sizes, path and threads only. 0 if they overflow or the net has no encoder.
LOCUS_API size_t locus_encode_workspace(const locus_net *net, const locus_evals *evals, const locus_encode_opts *opts);
#endif

// ---- the pool: models, embeddings, and what is known of them
//
// A pool belongs to a net, which must outlive it. Any number of threads may predict and route with it. The functions
// that change it, those that take it without const, need it alone. A pool may be handed what it holds itself: a model
// or an embedding of its own to add or set.

typedef struct locus_pool locus_pool;

typedef struct locus_model {
    char name[192];       // UTF-8, terminated, unique in the pool, no control characters
    float parameters_b;   // billions; NaN: unknown
    double cost;          // of one query, in the user's unit; finite, >= 0; NaN: unknown, which is not free
    int available;        // 0: never chosen
    uint64_t evaluations; // behind the embedding; 0: unknown
} locus_model;

// An empty pool with room for `capacity` models. memory: NULL to allocate (then the pool grows as needed), else at
// least locus_pool_memory bytes. query_encoder: name of the sentence encoder, "" or NULL: the net's.
LOCUS_API locus_status locus_pool_create(locus_pool **out, const locus_net *net, size_t capacity,
                                         const char *query_encoder, void *memory, size_t memory_bytes,
                                         locus_error *err);
LOCUS_API size_t locus_pool_memory(const locus_net *net, size_t capacity);
LOCUS_API void locus_pool_destroy(locus_pool *pool);

LOCUS_API size_t locus_pool_count(const locus_pool *pool);
LOCUS_API const char *locus_pool_query_encoder(const locus_pool *pool);
// The model and its embedding (z_dim floats); NULL if index is out of range. Valid until the pool changes.
LOCUS_API const locus_model *locus_pool_model(const locus_pool *pool, size_t index);
LOCUS_API const float *locus_pool_embedding(const locus_pool *pool, size_t index);
// Index of the model of that name, or SIZE_MAX.
LOCUS_API size_t locus_pool_find(const locus_pool *pool, const char *name);

// Append a model; *index (may be NULL) receives its place. Allocates where the pool grows. Fails: LOCUS_ERR_NAME, _POOL
// (cost, embedding), _MEMORY.
LOCUS_API locus_status locus_pool_add(locus_pool *pool, const locus_model *model, const float *z, size_t *index,
                                      locus_error *err);
// Replace a model's data, its embedding, or both (NULL: keep).
LOCUS_API locus_status locus_pool_set(locus_pool *pool, size_t index, const locus_model *model, const float *z,
                                      locus_error *err);
// Take a model out; those behind it move down by one.
LOCUS_API locus_status locus_pool_remove(locus_pool *pool, size_t index, locus_error *err);

// The guard: a default model that routing keeps unless another's predicted chance (with a price: utility) is more than
// `margin` higher. Part of the pool and of its file; locus_route and its kin use it unless their options say otherwise.
typedef struct locus_guard {
    size_t model;  // SIZE_MAX: the pool has no guard
    double margin; // 0 to 1
} locus_guard;
LOCUS_API locus_guard locus_pool_guard(const locus_pool *pool);
// model SIZE_MAX: no guard (margin is then not looked at). It follows its model when others are removed, and goes with
// it. Fails: LOCUS_ERR_ARGUMENT.
LOCUS_API locus_status locus_pool_set_guard(locus_pool *pool, size_t model, double margin, locus_error *err);
#if !defined(LOCUS_NO_EXPLORE) && !defined(LOCUS_INFERENCE_ONLY)
// Learn it from the evaluations that the pool was made from (in the pool's order): the default is their best model; the
// margin that from which changing to another pays, judged in five parts, each predicted from the four others. Method:
// see >>guard. unlabelled: as given to locus_pool_learn_recall, or NULL. Allocates while it works; costs about five
// memories. On failure the pool is as before.
// Fails: as locus_pool_learn_recall and locus_encode.
LOCUS_API locus_status locus_pool_learn_guard(locus_pool *pool, const locus_evals *evals,
                                              const locus_queries *unlabelled, const locus_parallel *parallel,
                                              locus_error *err);
#endif

// ---- the pool's memory of the evaluated queries (method: see >>recall)
//
// An encoder that learned from few models keeps less of a model than its evaluations tell. A pool may carry, beside the
// embeddings, what happened on the evaluated queries: at most 512 numbers for each model and about 300 KB for the pool.
// The logits of locus_predict and locus_route are then (1 - weight) times the net's plus weight times the memory's for
// the models that have it. Files of pools carry it along. Memories of files before 0.4 are another kind and stay so.

typedef struct locus_recall_opts {
    double weight;            // of the memory's logit, 0 to 1; 0: what the net's training found, else 0.8
    locus_queries unlabelled; // encodings that the space is learned from, no scores needed; count 0: evals' scored ones
} locus_recall_opts;

typedef struct locus_recall_info {
    size_t landmarks; // 0: the pool has no memory
    size_t queries;   // evaluated queries behind it
    size_t models;    // that have a part in it
    double weight;
} locus_recall_info;

LOCUS_API locus_recall_info locus_pool_recall_info(const locus_pool *pool);
#ifndef LOCUS_INFERENCE_ONLY
// Learn the memory from the evaluations of all models of the pool, in the pool's order; replaces an older one.
// Allocates while it works, and the memory itself; the pool must be on the heap. On failure the pool is as before.
// Numbers in encodings: below 1e6. Fails: as locus_encode on bad evaluations, LOCUS_ERR_ARGUMENT, _OVERFLOW, _MEMORY.
LOCUS_API locus_status locus_pool_learn_recall(locus_pool *pool, const locus_evals *evals,
                                               const locus_recall_opts *opts, locus_error *err);
// One model's part from its own evaluations (evals->models = 1): a model that was added, or has more evaluations now.
// Nothing else changes. Without it an added model is predicted by the net alone. Allocates while it works. Fails: as
// locus_pool_learn_recall, and LOCUS_ERR_POOL.
LOCUS_API locus_status locus_pool_recall_model(locus_pool *pool, size_t index, const locus_evals *evals,
                                               locus_error *err);
#endif
LOCUS_API locus_status locus_pool_set_recall_weight(locus_pool *pool, double weight, locus_error *err);
// Drop the memory: the net alone predicts.
LOCUS_API void locus_pool_drop_recall(locus_pool *pool);

// Bytes that locus_pool_load needs in `memory` for this file; 0 if it would refuse the file for what is in it, but for
// the values of its models: names, costs, embeddings.
LOCUS_API size_t locus_pool_load_memory(const locus_net *net, const locus_safetensors *st);
// Read the pool in a file (a pool file or a router file), which may be closed afterwards. memory: NULL to allocate.
// Fails: LOCUS_ERR_NO_POOL, _NET_MISMATCH, _ENCODER_MISMATCH, _POOL, _NAME, _TENSOR_*, _MEMORY and all of the reader's.
LOCUS_API locus_status locus_pool_load(locus_pool **out, const locus_net *net, const locus_safetensors *st,
                                       void *memory, size_t memory_bytes, locus_error *err);
#ifndef LOCUS_NO_STDIO
LOCUS_API locus_status locus_pool_open(locus_pool **out, const locus_net *net, const char *path, locus_error *err);
#ifndef LOCUS_INFERENCE_ONLY
typedef enum locus_save_what {
    LOCUS_SAVE_POOL = 0,      // the pool alone
    LOCUS_SAVE_ROUTER = 1,    // with the predictor: all that an edge router needs
    LOCUS_SAVE_EVERYTHING = 2 // with predictor and encoder: can also embed new models
} locus_save_what;
// Write a pool file or a router file. net_file: the file that the pool's net was made from; needed for
// LOCUS_SAVE_ROUTER and _EVERYTHING, else NULL. Allocates a copy of the pool's data. The file appears whole or not at
// all.
LOCUS_API locus_status locus_pool_save(const locus_pool *pool, const char *path, locus_save_what what,
                                       const locus_safetensors *net_file, locus_error *err);
#endif
#endif

// ---- predictor (method.md, "Correctness predictor")

// sigmoid of a logit: the predicted chance of a right answer.
LOCUS_API double locus_probability(double logit);

// logits[count, M] <- for every query and every model of the pool, available or not. Bit-identical for every batching
// and every number of threads. Does not allocate. parallel may be NULL.
// Fails: LOCUS_ERR_ARGUMENT, _QUERY_DIM, _NONFINITE_INPUT (an encoding, or the logit that it gives with a model: names
// both), _OVERFLOW, _WORKSPACE.
LOCUS_API locus_status locus_predict(const locus_pool *pool, const locus_queries *queries, float *logits,
                                     const locus_parallel *parallel, void *work, size_t work_bytes, locus_error *err);
LOCUS_API size_t locus_predict_workspace(const locus_pool *pool, size_t count, const locus_parallel *parallel);

// ---- costs
//
// Costs are in double, in any one unit. NaN is an unknown cost: never free, never dear, see locus_unpriced.

typedef struct locus_price {
    double input, output; // of a million tokens; >= 0; NaN: unknown, and so is every cost made with it
    double query;         // on top, for each query; >= 0
} locus_price;

typedef struct locus_tokens {
    const double *input;  // [count] tokens of each query, >= 0: given, or locus_count_tokens of its text
    const double *output; // tokens of the answer of model m to query i: output[i * query_stride + m * model_stride]
    size_t query_stride, model_stride; // 1, 0: one number a query; 0, 1: a model; 0, 0: one for all; M, 1: [count, M]
} locus_tokens;

// About how many tokens a text has: a quarter of its code points, where those of Chinese, Japanese and Korean count
// whole. Bytes that are no UTF-8 count as code points. Good to a third or so; real counts are better.
LOCUS_API double locus_count_tokens(const char *text, size_t bytes);
// cost[count, models] <- (input tokens * input price + output tokens * output price) / 1e6 + price of a query; NaN
// where a price is unknown. Tokens NaN: unknown, and so is the cost. Fails: LOCUS_ERR_ARGUMENT (names the entry).
LOCUS_API locus_status locus_price_costs(const locus_price *prices, size_t models, const locus_tokens *tokens,
                                         size_t count, double *cost, locus_error *err);

// ---- routing

typedef enum locus_rule {
    LOCUS_RULE_BEST = 0,        // highest utility among the candidates
    LOCUS_RULE_BEAT_DEFAULT,    // beats the default model by more than the margin
    LOCUS_RULE_DEFAULT_KEPT,    // the default stays: no candidate gains more than the margin
    LOCUS_RULE_DEFAULT_EXCLUDED // the default is not available or too dear: highest utility instead
} locus_rule;

// "best", "beat-default", "default-kept", "default-excluded"
LOCUS_API const char *locus_rule_name(locus_rule rule);

typedef struct locus_choice {
    size_t model; // index in the pool; SIZE_MAX in places beyond the number of candidates
    float logit;
    float probability; // predicted chance that the model answers right
    double cost;       // NaN: unknown
    double utility;    // probability - lambda * cost, in double
    locus_rule rule;   // why this one stands in its place (first place; the others are in order of utility)
} locus_choice;

typedef enum locus_unpriced { // where a rule needs costs (lambda, max_cost, a budget), models of unknown cost ...
    LOCUS_UNPRICED_AUTO = 0,  // ... are no candidates; without such a rule they are
    LOCUS_UNPRICED_ALLOW,     // ... are: max_cost lets them pass, and they count as the query's dearest other candidate
    LOCUS_UNPRICED_REFUSE     // ... are not, nor are they without such a rule
} locus_unpriced;

typedef enum locus_guard_use {
    LOCUS_GUARD_POOL = 0, // the pool's guard, if it has one
    LOCUS_GUARD_NONE,     // none
    LOCUS_GUARD_GIVEN     // `default_model` is chosen unless another gains more than `margin`
} locus_guard_use;

typedef struct locus_route_opts {
    size_t top;                           // ranked choices for each query; 0: 1
    const unsigned char *available;       // [M] overrides the pool's flags; NULL: the pool's
    const unsigned char *query_available; // [count, M] 0: not for this query (too long a text, say); NULL: all
    const double *cost;                   // [M] overrides the pool's costs; NULL: the pool's. NaN: unknown
    const double *query_cost;             // [count, M] overrides both; NULL: a query's cost is its model's
    double max_cost;                      // models dearer than this are no candidates; 0: no limit
    double lambda;                        // price of cost: utility = p - lambda * cost; >= 0
    locus_unpriced unpriced;
    locus_guard_use guard;
    size_t default_model;
    double margin; // in utility (with lambda 0: in probability); >= 0
    const locus_parallel *parallel;
} locus_route_opts;

// out[count, top] <- ranked choices: by utility, then logit, then lower index, so the same input gives the same
// answer. With a default that is kept, it comes first and the others follow in order. logits (NULL or [count, M])
// receives the logits. Does not allocate. opts may be NULL.
// Fails: as locus_predict, and LOCUS_ERR_NO_CANDIDATE.
LOCUS_API locus_status locus_route(const locus_pool *pool, const locus_queries *queries, const locus_route_opts *opts,
                                   locus_choice *out, float *logits, void *work, size_t work_bytes, locus_error *err);
LOCUS_API size_t locus_route_workspace(const locus_pool *pool, size_t count, const locus_route_opts *opts);

// The same from logits [count, M] that the caller has; needs no workspace. NaN among them: LOCUS_ERR_NONFINITE.
LOCUS_API locus_status locus_rank(const locus_pool *pool, const float *logits, size_t count,
                                  const locus_route_opts *opts, locus_choice *out, locus_error *err);

// *lambda <- the smallest price of cost at which the mean cost of the first choices over these queries (their logits,
// [count, M]) is at most `budget`, to a relative 1e-9; found by bisection. opts gives the other rules (its lambda is
// ignored). A budget needs costs: *lambda may be 0, so route with LOCUS_UNPRICED_REFUSE where opts has AUTO. (With
// ALLOW an unknown cost enters the mean as what it counts as.)
// Fails: LOCUS_ERR_BUDGET (even the cheapest candidates cost more), _NO_CANDIDATE (a query has none, or none of known
// cost), _ARGUMENT, _NONFINITE_INPUT.
LOCUS_API locus_status locus_lambda_for_budget(const locus_pool *pool, const float *logits, size_t count, double budget,
                                               const locus_route_opts *opts, double *lambda, double *mean_cost,
                                               locus_error *err);

#ifndef LOCUS_INFERENCE_ONLY
// ---- metrics (method.md, "Metrics")

typedef enum locus_among {
    LOCUS_AMONG_ALL = 0, // a missing score counts as a miss: score 0
    LOCUS_AMONG_SCORED   // replay of a log with holes: a query's candidates are the models that have a score on it
} locus_among;

// A missing score is left out of the prediction figures. A model is right where its score is > 0.5; the figures named
// score are means of the scores themselves. Ties among logits go to the lower index.
typedef struct locus_metrics {
    size_t queries, pairs;      // queries counted; (query, model) pairs that have a score
    size_t left_out;            // queries without a candidate: in none of the figures
    double hit1, hit3, hit5;    // share of queries with a right model: the chosen; among the 3, 5 highest logits
    double routing_score;       // mean score of the chosen models
    double prediction_accuracy; // p >= 0.5 against right or wrong, over pairs
    double bce, brier;          // mean binary cross-entropy (nats), mean (p - score)^2
    double auc;                 // area under the ROC curve over all pairs, ties half; NaN if only one class occurs
    double ece;                 // expected calibration error, 15 bins of equal width over p
    double best_single, best_single_score;   // of always taking the leader
    double random_model, random_model_score; // of a candidate drawn uniformly
    double oracle, oracle_score;             // of the best candidate
    size_t models_routed;                    // how many different models are chosen
} locus_metrics;

typedef struct locus_metrics_opts { // all zero is fine, and so is NULL
    const size_t *columns;          // [n] the column of each row of logits in scores; NULL: row i is column i
    const int32_t *select;          // [n] rows with select[i] != value are skipped: one category, one split; NULL: none
    int32_t value;
    locus_among among;
    const unsigned char *available;       // [M] 0: never a candidate; NULL: all are
    const unsigned char *query_available; // [n, M] 0: not for this query; NULL: all are
    const size_t *leaders; // [leader_count] models, best first, chosen on training data (locus_leaders): the leader of
    size_t leader_count;   // a query is the first that is a candidate; after them by index
    const locus_choice *choices; // [n] what was chosen by whatever rules (locus_rank, top 1, options of the same
                                 // candidates); NULL: the highest logit among the candidates
} locus_metrics_opts;

// logits [n, M]; scores as in locus_evals. work: locus_metrics_workspace(n, M).
// Fails: LOCUS_ERR_ARGUMENT, _SCORE, _NONFINITE_INPUT (a logit), _WORKSPACE.
LOCUS_API locus_status locus_metrics_compute(locus_metrics *out, const float *logits, size_t n,
                                             const locus_scores *scores, const locus_metrics_opts *opts, void *work,
                                             size_t work_bytes, locus_error *err);
LOCUS_API size_t locus_metrics_workspace(size_t n, size_t models);
// The model with most right answers among `columns` (NULL: all; missing = wrong); the lowest index of equals.
LOCUS_API size_t locus_best_model(const locus_scores *scores, const size_t *columns, size_t count);
// order[M] <- the models, best first, and means[M] (may be NULL) <- what they are ordered by: their mean score on
// `columns` (NULL: all). LOCUS_AMONG_ALL: missing = 0. LOCUS_AMONG_SCORED: models that were asked different things are
// compared by score = model + query, fitted by least squares to the scores there are, each model at the lower end of
// its standard error; models without any come last, their mean is NaN. Equals by index. Allocates while it works.
// Fails: LOCUS_ERR_ARGUMENT, _SCORE, _MEMORY.
LOCUS_API locus_status locus_leaders(const locus_scores *scores, const size_t *columns, size_t count, locus_among among,
                                     size_t *order, double *means, locus_error *err);

// ---- quality against money
//
// Any router that gives logits, or logits of probabilities, can be judged: a pool is not needed.

typedef struct locus_tradeoff {
    double cost, quality; // means over the queries
} locus_tradeoff;

// picks[count or fewer] <- the places of the corners of the non-decreasing hull of these points, by rising cost;
// returns how many. Anything on the hull can be had by mixing two of them at random. Points with a NaN are left out.
LOCUS_API size_t locus_hull(const locus_tradeoff *points, size_t count, size_t *picks);
// The hull's quality at a cost: NaN below its first corner, flat beyond its last.
LOCUS_API double locus_hull_quality(const locus_tradeoff *points, const size_t *picks, size_t corners, double cost);
// The least cost at which it has the quality; NaN if it never has.
LOCUS_API double locus_hull_cost(const locus_tradeoff *points, const size_t *picks, size_t corners, double quality);
// AIQ (RouterBench, arXiv 2403.12031): the mean of the hull's quality over costs from low to high. A hull that begins
// above `low` is joined to (0, 0), the router that never answers. low = high: its quality there. NaN without a corner.
LOCUS_API double locus_aiq(const locus_tradeoff *points, const size_t *picks, size_t corners, double low, double high);

typedef struct locus_interval {
    double value, low, high;
} locus_interval;

// The mean of a[i] - b[i] with the interval of a paired bootstrap over i (percentiles; level 0: 0.9; resamples 0:
// 1000), the same for the same seed. Allocates while it works. Fails: LOCUS_ERR_ARGUMENT (also: not finite), _MEMORY.
LOCUS_API locus_status locus_paired_difference(const double *a, const double *b, size_t count, double level,
                                               size_t resamples, uint64_t seed, locus_interval *out, locus_error *err);

enum { LOCUS_FRONTIER_LEVELS = 4 }; // 90, 95, 99 and 100 % of the leader's quality

typedef struct locus_frontier_opts {
    const locus_route_opts *rules; // the router's, its query_* of these queries (lambda and top are ignored), and what
                                   // is a candidate; NULL: none. LOCUS_GUARD_POOL is none: there is no pool
    const size_t *columns;         // [n] as in locus_metrics_opts
    const size_t *leaders;         // [leader_count] likewise
    size_t leader_count;
    const double *means; // [M] of locus_leaders, on training data: what the zero router knows; NULL: see there
    locus_among among;
    size_t points;    // prices that the router is tried at; 0: 64
    double level;     // of the intervals; 0: 0.9
    size_t resamples; // 0: 1000
    uint64_t seed;
} locus_frontier_opts;

typedef struct locus_frontier_point { // the router at one price
    double lambda, cost, quality, right;
    locus_interval gain; // its quality less the zero router's at the same cost; NaN where that has none
    int corner;          // 1: of the router's hull
} locus_frontier_point;

// The zero router (RouterBench): the hull of what can be had without looking at the query. Its points are the models
// that are candidates on every query, each alone; and, where `means` are given, at each price the candidate of highest
// mean - lambda * mean cost: without holes that is one of them, in a log with holes the same among those that are
// there.
typedef struct locus_zero_corner {
    locus_tradeoff mean;
    size_t model; // that is taken on most queries,
    double share; // on this share of them
} locus_zero_corner;

typedef struct locus_single { // one model
    locus_tradeoff mean;      // on the queries on which it is a candidate; NaN: on none
    size_t candidate;         // how many these are; figures of different queries are hard to compare
} locus_single;

typedef struct locus_frontier {
    size_t queries, left_out; // counted; without a candidate of known (or allowed) cost, and in no figure
    size_t points;            // of the router
    size_t corners, zero_corners;
    size_t leader;                              // the model that leads most queries
    locus_tradeoff leader_mean, random, oracle; // oracle: the cheapest of those with the highest score
    double low, high; // costs that AIQ is taken over: of the zero router's first and last corner
    locus_interval aiq, zero_aiq, aiq_gain;
    locus_interval at_leader;            // the router's quality, at the leader's cost, less the leader's
    double level[LOCUS_FRONTIER_LEVELS]; // qualities, of the leader's ...
    locus_interval cost[LOCUS_FRONTIER_LEVELS], saving[LOCUS_FRONTIER_LEVELS]; // ... what the router pays for them
    double zero_cost[LOCUS_FRONTIER_LEVELS];                                   // (NaN: it never gets there) and saves:
                                                                               // 1 - cost / the leader's
} locus_frontier;

// The frontier of quality against mean cost over the price of cost, and what to compare it with. Quality is the mean
// score. cost: in opts->rules (query_cost or cost). With P = opts->points or 64: points[P], out->points of them, from
// the dearest to the cheapest; zero[P + M], out->zero_corners of them, from the cheapest to the dearest; singles[M].
// The prices are quantiles of those at which some query's choice changes. Intervals are percentiles of a paired
// bootstrap over the queries: the hulls of the same corners, and all figures from them, again. Allocates while it
// works: about 21 bytes for each logit and 8 for each query and price. Fails: LOCUS_ERR_ARGUMENT, _SCORE,
// _NONFINITE_INPUT (a logit that is NaN), _NO_CANDIDATE (on every query), _MEMORY.
LOCUS_API locus_status locus_frontier_compute(locus_frontier *out, locus_frontier_point *points,
                                              locus_zero_corner *zero, locus_single *singles, const float *logits,
                                              size_t n, const locus_scores *scores, const locus_frontier_opts *opts,
                                              locus_error *err);

typedef struct locus_gap { // between a weak and a strong model, on the queries where both are candidates
    size_t queries;
    double weak, strong;      // mean scores
    locus_interval recovered; // APGR (RouteLLM, arXiv 2406.18665): mean over the share of queries that go to `strong`,
                              // 0 to 1, of (score - weak) / (strong - weak); random: 0.5. NaN unless strong > weak
    double calls_half, calls_most; // least share to `strong` that recovers 50, 80 % of the gap; NaN: never does
} locus_gap;

// The router between two models: those queries go to `strong` where its chance exceeds `weak`'s most. Options as above
// (of the rules only available and query_available count). Allocates while it works. Fails: as locus_frontier_compute.
LOCUS_API locus_status locus_recovered_gap(locus_gap *out, const float *logits, size_t n, const locus_scores *scores,
                                           size_t weak, size_t strong, const locus_frontier_opts *opts,
                                           locus_error *err);
#endif

// ---- calibration: probabilities that come true
//
// logit <- scale * logit + shift, two numbers a model, each model's shrunk towards the pool's and the pool's towards
// (1, 0), learned on evaluations that neither net nor embeddings have seen. Part of the pool and of its file:
// locus_predict and locus_route apply it. A model that is added later takes the pool's.

typedef struct locus_calibration {
    float scale; // > 0
    float shift;
} locus_calibration;

// A model's, or with index SIZE_MAX the pool's; {1, 0} if the pool is not calibrated.
LOCUS_API locus_calibration locus_pool_calibration(const locus_pool *pool, size_t index);
// Back to the plain logits.
LOCUS_API void locus_pool_uncalibrate(locus_pool *pool);
#ifndef LOCUS_NO_EXPLORE
typedef struct locus_calibrate_opts {
    double shrink; // pseudo-evaluations that hold a model to the pool; 0: estimated from how much the models differ
    const locus_parallel *parallel;
} locus_calibrate_opts;

// Learn it from held-out evaluations of the pool's models, in the pool's order (a model may have none); replaces an
// older one. Allocates while it works. Method: Platt's scaling (1999), two levels. On failure the pool is as before.
// The weights of both levels are in >>calibration. Fails: LOCUS_ERR_ARGUMENT, _QUERY_DIM, _SCORE, _NONFINITE_INPUT,
// _EMPTY_SET (no evaluation at all), _OVERFLOW, _MEMORY.
LOCUS_API locus_status locus_pool_calibrate(locus_pool *pool, const locus_evals *evals,
                                            const locus_calibrate_opts *opts, locus_error *err);

// One bin of a reliability diagram.
typedef struct locus_bin {
    double predicted, observed; // means of probability and score in it; NaN if it is empty
    size_t pairs;
} locus_bin;

// bins[count] <- of equal width over [0, 1]; *ece (may be NULL) <- the mean of |predicted - observed| weighted by
// pairs, NaN if there are none. Rows and columns as in locus_metrics_compute. model: one model's, SIZE_MAX: all. Fails:
// LOCUS_ERR_ARGUMENT, _SCORE, _NONFINITE_INPUT (a logit is NaN).
LOCUS_API locus_status locus_reliability(const float *logits, size_t n, const locus_scores *scores,
                                         const size_t *columns, size_t model, locus_bin *bins, size_t count,
                                         double *ece, locus_error *err);

// ---- exploring: what is alike, what to choose, how sure one can be
//
// These functions work on rows of numbers, so any embeddings and any probabilities will do. Two kinds of rows stand for
// a model: its embedding, and its *profile*: its predicted chances over a sample of queries, locus_profiles. The
// profile is what the predictor knows and the geometry does not; where both will do, prefer it.
//
// None allocates unless it says so; X_workspace gives the bytes of X's `work` (0: they overflow), or X says how many.
// Results depend on no number of threads in any bit; ties go to the lower index. Any number of threads may call them.

typedef struct locus_points {
    const float *rows; // [count, dim], finite, at most 1e18; chances in [0,1] for LOCUS_DISAGREEMENT
    size_t count, dim;
    size_t stride; // floats from one row to the next; 0: dim
} locus_points;

// The pool's embeddings, in its order. Valid until the pool changes.
LOCUS_API locus_points locus_pool_points(const locus_pool *pool);

// profiles[M, count] <- the predicted chance of every model (rows) on every query (columns).
// Fails: as locus_predict.
LOCUS_API locus_status locus_profiles(const locus_pool *pool, const locus_queries *queries, float *profiles,
                                      const locus_parallel *parallel, void *work, size_t work_bytes, locus_error *err);
LOCUS_API size_t locus_profiles_workspace(const locus_pool *pool, size_t count, const locus_parallel *parallel);
// profiles[M, n]: where a model has a score, put it in place of its chance: what has been answered is known. By
// LOCUS_DISAGREEMENT such profiles tell stand-ins best. (For portfolios keep the chances: the best of several answers
// is luck.) Fails: LOCUS_ERR_ARGUMENT, _SCORE; then nothing is changed.
LOCUS_API locus_status locus_profiles_known(float *profiles, const locus_evals *evals, locus_error *err);

// out[M, categories] <- mean of each profile over the queries of each category; NaN for a category without queries.
// category[queries]: 0 to categories - 1; others belong to none. Fails: LOCUS_ERR_ARGUMENT.
LOCUS_API locus_status locus_category_means(const locus_points *profiles, const int32_t *category, size_t categories,
                                            double *out, locus_error *err);

typedef enum locus_metric {
    LOCUS_COSINE = 0,   // 1 - cos, 0 to 2; a row of zeros is at 1 from all
    LOCUS_EUCLIDEAN,    // |a - b|
    LOCUS_DISAGREEMENT, // rows are profiles: mean of p_a (1 - p_b) + (1 - p_a) p_b, expected share of unlike answers
    LOCUS_METRIC_COUNT
} locus_metric;

// "cosine", "euclidean", "disagreement"; NULL if there is no such metric.
LOCUS_API const char *locus_metric_name(locus_metric metric);

// What most functions below take; all zero is fine, and so is NULL.
typedef struct locus_explore_opts {
    locus_metric metric;
    const unsigned char *available; // [count] 0: this row is never picked, never a neighbour; NULL: all are
    const locus_parallel *parallel;
    locus_isa isa;                                          // 0: the best this machine has
    int (*progress)(void *user, size_t done, size_t total); // on the calling thread; nonzero: LOCUS_ERR_CANCELLED
    void *user;
} locus_explore_opts;

// out[a, b] <- distances of all rows of a from all rows of b (NULL: of a), each to a relative 1e-5 (plus 1e-6).
// Fails: LOCUS_ERR_ARGUMENT, _NONFINITE_INPUT, _ISA, _WORKSPACE.
LOCUS_API locus_status locus_distances(const locus_points *a, const locus_points *b, float *out,
                                       const locus_explore_opts *opts, void *work, size_t work_bytes, locus_error *err);
LOCUS_API size_t locus_distances_workspace(const locus_points *a, const locus_points *b,
                                           const locus_explore_opts *opts);

// ---- neighbours and proxies

typedef struct locus_neighbour {
    size_t index;   // SIZE_MAX in places beyond the number of candidates
    float distance; // FLT_MAX there
} locus_neighbour;

// out[n, k] <- for each row of `of` the k nearest rows of `points`, nearest first. of NULL: for each row of points
// itself, which is no neighbour of its own. Exact, and the
// same with every instruction set. Two rows of points are told apart by their places alone.
// A stand-in for a model that is down: its first neighbour that is available; best by LOCUS_DISAGREEMENT of profiles
// over answered queries (locus_profiles_known), else by LOCUS_EUCLIDEAN of profiles, which real agreement follows
// better than the embeddings' distance. (LOCUS_DISAGREEMENT of chances alone takes answers for independent and so
// prefers models that are sure of themselves.)
LOCUS_API locus_status locus_neighbours(const locus_points *points, const locus_points *of, size_t k,
                                        locus_neighbour *out, const locus_explore_opts *opts, void *work,
                                        size_t work_bytes, locus_error *err);
LOCUS_API size_t locus_neighbours_workspace(const locus_points *points, const locus_points *of, size_t k,
                                            const locus_explore_opts *opts);

// ---- clusters

typedef enum locus_linkage {
    LOCUS_AVERAGE = 0, // mean distance of the pairs
    LOCUS_COMPLETE,    // largest
    LOCUS_SINGLE,      // smallest
    LOCUS_WARD         // growth of the summed squared distance from the mean, as a distance (scipy's); Euclidean only
} locus_linkage;

// Clusters 0 .. n-1 are the rows, n + i is what merge i makes of a < b. Heights never fall. (scipy.cluster.hierarchy's
// Z)
typedef struct locus_merge {
    size_t a, b;
    double height;
    size_t size; // rows in it
} locus_merge;

// merges[n - 1] <- agglomerative clustering. Average and complete by the nearest-neighbour chain (Murtagh 1983;
// Muellner 2011) in half a distance matrix, 2 n^2 bytes; Ward by the chain over the clusters' means; single by the
// minimum spanning tree: memory linear in n. O(n^2) time; single
// needs a few passes over all pairs (progress: of each pass anew). At most 2^30 rows. Workspace and failures as
// locus_neighbours; all rows count, available or not.
LOCUS_API locus_status locus_cluster(const locus_points *points, locus_linkage linkage, locus_merge *merges,
                                     const locus_explore_opts *opts, void *work, size_t work_bytes, locus_error *err);
LOCUS_API size_t locus_cluster_workspace(const locus_points *points, locus_linkage linkage,
                                         const locus_explore_opts *opts);

// label[n] <- 0 to *clusters - 1, numbered by first row: the tree cut into `count` clusters, or, where count is 0, at
// `height`: merges up to it are done. clusters may be NULL. work: n size_t. Fails: LOCUS_ERR_ARGUMENT, _WORKSPACE.
LOCUS_API locus_status locus_cluster_cut(const locus_merge *merges, size_t n, size_t count, double height,
                                         size_t *label, size_t *clusters, void *work, size_t work_bytes,
                                         locus_error *err);
// order[n] <- the rows as the leaves of the dendrogram, from left to right: of each merge the side that joined at lower
// height comes first (then the one with the lower row). No branches cross. work: 3 n size_t.
LOCUS_API locus_status locus_cluster_order(const locus_merge *merges, size_t n, size_t *order, void *work,
                                           size_t work_bytes, locus_error *err);

// picks[k] <- medoids: k rows that make the mean distance of all rows to the nearest of them small, ascending.
// label[n] (may be NULL) <- place in picks of each row's. Greedy start, then the best swaps of FasterPAM (Schubert and
// Rousseeuw 2021) until none helps: a local optimum. Works in a distance matrix, 4 n^2 bytes.
LOCUS_API locus_status locus_medoids(const locus_points *points, size_t k, size_t *picks, size_t *label,
                                     double *mean_distance, const locus_explore_opts *opts, void *work,
                                     size_t work_bytes, locus_error *err);
LOCUS_API size_t locus_medoids_workspace(const locus_points *points, size_t k, const locus_explore_opts *opts);

// ---- portfolios

// picks[k] <- k-center: starts from the 1-medoid, then always the row farthest from those picked (Gonzalez 1985), so
// that the first j picks are the answer for j. radius[k] (may be NULL) <- largest distance of any row to the first j
// picks. Beyond 4,096 rows the 1-medoid is the row nearest to the mean (of unit rows for cosine).
LOCUS_API locus_status locus_centers(const locus_points *points, size_t k, size_t *picks, float *radius,
                                     const locus_explore_opts *opts, void *work, size_t work_bytes, locus_error *err);
LOCUS_API size_t locus_centers_workspace(const locus_points *points, size_t k, const locus_explore_opts *opts);

// Coverage-greedy under a budget: always the affordable row of largest gain per cost, the gain being how much nearer
// all rows come to the picks (at first: to the largest distance there is). picks [n], *count <- how many; it
// ends when nothing affordable brings any row nearer. cost [n] > 0.
// Works in a distance matrix, 4 n^2 bytes.
LOCUS_API locus_status locus_coverage(const locus_points *points, const float *cost, double budget, size_t *picks,
                                      size_t *count, const locus_explore_opts *opts, void *work, size_t work_bytes,
                                      locus_error *err);
LOCUS_API size_t locus_coverage_workspace(const locus_points *points, const locus_explore_opts *opts);

typedef struct locus_portfolio_opts {
    size_t count;                   // at most so many models; 0: no limit
    double budget;                  // on the sum of their costs; 0: no limit
    double lambda;                  // price of cost: what is maximised is value - lambda * cost
    const float *cost;              // [M] >= 0; needed for budget and lambda
    const float *weight;            // [Q] of the queries, >= 0; NULL: all 1
    const unsigned char *available; // [M] 0: not to be picked; NULL: all
    const unsigned char *required;  // [M] 1: is in it anyway (counts towards count and budget); NULL: none
    int greedy_only;                // 1: no swaps: the first j picks are the greedy answer for j
    const locus_parallel *parallel;
    locus_isa isa; // 0: the best this machine has; the answer is the same for all
    int (*progress)(void *user, size_t done, size_t total);
    void *user;
} locus_portfolio_opts;

typedef struct locus_portfolio {
    size_t count;
    double value; // mean over the queries of the best profile in the set: what perfect routing by p would score
    double cost;  // sum over the set
    double bound; // no set within the limits has a larger value - lambda * cost than this
} locus_portfolio;

// picks[M or opts->count] <- the set of models whose best is best: maximises a monotone submodular function less a
// linear cost. Lazy greedy by gain and by gain per cost (Minoux 1978; Nemhauser, Wolsey, Fisher 1978; Leskovec et al.
// 2007), then swaps while one helps, from there and from the sets that the bound comes across. profiles: [M, Q], values
// in [0,1]. First what is required, then in the order of picking; after swaps, of gain. A model that adds nothing (less
// its price) is not picked, so there may be fewer than count, with a high lambda none.
// value_of[j] (may be NULL, as long as picks) <- the value of the first j + 1 picks. work: locus_portfolio_workspace.
// Fails: LOCUS_ERR_ARGUMENT, _BUDGET (what is required costs more, or is more than count), _NO_CANDIDATE, _CANCELLED,
// _ISA, _WORKSPACE.
LOCUS_API locus_status locus_portfolio_choose(const locus_points *profiles, const locus_portfolio_opts *opts,
                                              size_t *picks, double *value_of, locus_portfolio *out, void *work,
                                              size_t work_bytes, locus_error *err);
LOCUS_API size_t locus_portfolio_workspace(const locus_points *profiles, const locus_portfolio_opts *opts);

// ---- search by profile

typedef struct locus_wish {
    double accuracy; // wished, 0 to 1
    double weight;   // 0: do not care
} locus_wish;

typedef struct locus_match {
    size_t model;
    double distance; // root of the weighted mean squared gap to the wish
} locus_match;

// out[k] <- the models whose accuracy per category (means [M, categories], e.g. of locus_category_means; NaN: passed
// over) comes nearest to the wish. In places beyond the number of candidates: SIZE_MAX. Fails: LOCUS_ERR_ARGUMENT.
LOCUS_API locus_status locus_search(const double *means, size_t models, const locus_wish *wish, size_t categories,
                                    size_t k, const unsigned char *available, locus_match *out, locus_error *err);
// The paper's way: scores[n] <- 0/1 drawn at the wished rates (255 where one does not care), to be encoded and looked
// up among the embeddings with locus_neighbours. Stratified: each category has its rate as exactly as can be.
// Fails: LOCUS_ERR_ARGUMENT.
LOCUS_API locus_status locus_imagine(const int32_t *category, size_t n, const locus_wish *wish, size_t categories,
                                     uint64_t seed, unsigned char *scores, locus_error *err);

// ---- uncertainty

typedef struct locus_resample_opts {
    size_t count;  // resampled versions; 0: 32
    int jackknife; // 0: bootstrap (as many, drawn with replacement); 1: each leaves out one of `count` groups
    uint64_t seed;
    const locus_parallel *parallel;
    int (*progress)(void *user, size_t done, size_t total);
    void *user;
} locus_resample_opts;

// *out <- a pool of what the model might be, given only these evaluations (evals->models = 1): `count` versions of it,
// "#1", "#2", ..., embedded from resampled evaluations, with the pool's shared calibration and, if the pool has a
// memory, a resampled part in it. All versions share the work on the queries. Use it as any pool: its profiles and
// points are draws of the model's; feed them to locus_interval_of. Version r depends on the seed, r and the evaluations
// alone, in the order of their rows.
//
// What the intervals promise: where all evaluations of the model would put its predictions, its distances and its
// agreement with others; measured on models that the net had not seen, nominal 90 % covered 84 to 97 % from 32 to 1,024
// evaluations (bench/coverage.c). What the predictor cannot express stays outside: of the accuracies then observed, the
// same intervals with the noise of so many answers covered 76 to 92 %, by category 67 to 82 %.
//
// One core, net of one layer, 32 versions of 128, 1,024 and 4,096 evaluations: 57, 140 and 480 ms with a memory, 10,
// 73 and 300 ms without. Allocates the new pool and, while it works, about 5 KB an evaluation. Fails: as locus_encode,
// locus_pool_recall_model and locus_pool_create; LOCUS_ERR_ARGUMENT (more groups than evaluations), _CANCELLED.
LOCUS_API locus_status locus_pool_resample(locus_pool **out, const locus_pool *pool, const locus_evals *evals,
                                           const locus_resample_opts *opts, locus_error *err);

// Interval around `value` from resampled values of it: value -+ t * deviation, t of Student's distribution with
// count - 1 degrees of freedom; jackknife: the deviation is (count - 1) / sqrt(count) times larger.
// level: 0.9 for 90 %. count < 2: NaN bounds.
LOCUS_API locus_interval locus_interval_of(double value, const double *resampled, size_t count, int jackknife,
                                           double level);
// How many evaluations it would take to bring half the interval's width to `wanted`, if it shrinks with the root of
// their number. SIZE_MAX if that is no number.
LOCUS_API size_t locus_evaluations_needed(size_t evaluations, const locus_interval *now, double wanted);

// ---- comparison of two models

typedef struct locus_comparison {
    locus_interval accuracy_a, accuracy_b; // mean of the profile
    locus_interval difference;             // a - b
    locus_interval agreement;              // predicted: mean of p_a p_b + (1 - p_a) (1 - p_b), see `correlation`
    locus_interval observed;               // agreement of answers to the same queries (Wilson); NaN if none are shared
    size_t shared;
} locus_comparison;

typedef struct locus_compare_opts {
    double level;            // 0: 0.9
    double correlation;      // of answers given their chances, -1 to 1 (locus_answer_correlation; about 0.3 on real
                             // models, which agree more than 0, independence, lets expect)
    const int32_t *category; // [Q] 0 to categories - 1, or NULL
    size_t categories;
    locus_interval *by_category;              // [categories] <- difference a - b in each; NULL: not wanted
    const unsigned char *scores_a, *scores_b; // [answers] 0, 1, 255 = missing: to the same queries; NULL: none
    size_t answers;
} locus_compare_opts;

// a, b: profiles over the same queries; row 0 is the model's, further rows (if any) resampled ones (bootstrap), from
// which the intervals come (fewer than 2: NaN bounds): row i of a against row i of b. Fails: LOCUS_ERR_ARGUMENT,
// _SCORE.
LOCUS_API locus_status locus_compare(const locus_points *a, const locus_points *b, const locus_compare_opts *opts,
                                     locus_comparison *out, locus_error *err);

// ---- duplicates and silent swaps

// *p <- the chance that two *different* models, each answering right with its own chance (p_a, p_b [n]), would disagree
// on as few of these queries as a and b did, or fewer: exact (Poisson binomial), in n times the disagreements steps.
// scores: 0, 1, 255 = missing; chances in [0, 1]. correlation: of two models' answers given their chances, -1 to 1:
// what makes a question hard for one makes it hard for the other. With 0 nearly all pairs look like copies; pass what
// locus_answer_correlation finds among models known to differ. Small p: the same model, or copies. work:
// locus_same_answers_workspace(n). *shared, *disagreements: may be NULL. Nothing shared: 1.
// Fails: LOCUS_ERR_ARGUMENT, _SCORE, _OVERFLOW, _WORKSPACE.
LOCUS_API locus_status locus_same_answers(const float *p_a, const float *p_b, const unsigned char *scores_a,
                                          const unsigned char *scores_b, size_t n, double correlation, double *p,
                                          size_t *shared, size_t *disagreements, void *work, size_t work_bytes,
                                          locus_error *err);
LOCUS_API size_t locus_same_answers_workspace(size_t n);
// *correlation <- of two models' answers given their chances, sum (x - p_a)(y - p_b) / sum sqrt(p_a (1 - p_a) p_b
// (1 - p_b)) over their shared queries: this quantile of it over all pairs of models, with quantile 0 the mean. Pairs
// of models differ much in it (relatives err alike), so a test with the mean accuses a tenth of all pairs. With the
// 0.95 quantile "different" means: no more alike than all but the most alike 5 % of pairs here, and at most about those
// 5 % can be accused at all. profiles: chances [M, n]; scores [M, n] as above. work:
// locus_answer_correlation_workspace(M). Fails: as locus_same_answers.
LOCUS_API locus_status locus_answer_correlation(const locus_points *profiles, const unsigned char *scores,
                                                double quantile, double *correlation, void *work, size_t work_bytes,
                                                locus_error *err);
LOCUS_API size_t locus_answer_correlation_workspace(size_t models);

// *p <- the chance that one and the same model, evaluated twice on other queries, would lie as far apart as a and b or
// farther: the share of (a_r - a_0) - (b_s - b_0) over all r and s that are as long. a, b: embeddings; row 0 the
// model's, the others (at least one) resampled (bootstrap). Large p: no evidence that they differ. metric: cosine or
// Euclidean. Fails: LOCUS_ERR_ARGUMENT, _NONFINITE_INPUT.
LOCUS_API locus_status locus_same_embedding(const locus_points *a, const locus_points *b, locus_metric metric,
                                            double *p, locus_error *err);

// Is this endpoint still the model that it was? A stream of answers is turned into an e-value: under the hypothesis
// that it is, an e-process whose chance of ever reaching 1 / alpha is at most alpha (Ville's inequality), however often
// one looks. Plain state, no allocation: start with all zero.
typedef struct locus_watch {
    double tolerance; // how far predictions may be off on average without that being news; 0: 0.02
    double log_bets[18];
    size_t answers; // taken in so far
} locus_watch;

// Add an answer; returns the e-value so far. expected: the chance of a right answer if it is still the model: of a
// query drawn at random, its prediction; of a query that the model has answered before, 1 - r or r, r its rate of
// answering otherwise the second time (0.02 to 0.1). score: 0 to 1. Input that is NaN or out of [0, 1] is passed over.
// Sound the alarm at 1 / alpha. A swap is noticed soon even after a long good time (see >>duplicates).
LOCUS_API double locus_watch_add(locus_watch *watch, double expected, double score);

// ---- what to evaluate next

typedef struct locus_next_opts {
    size_t batch;                   // how many to pick; 0: 1
    int for_routing;                // 0: learn the model; 1: learn where it would be chosen
    const unsigned char *available; // [n] 0: not to be asked; NULL: all that are not answered
} locus_next_opts;

typedef struct locus_next {
    size_t count;            // picked
    locus_interval accuracy; // over the queries given, as far as is known, 90 %
    double error; // expected root mean squared error of the predicted chances that more evaluations could remove
    double gain;  // how much of its square this batch is expected to remove
    int enough;   // 1: the next would remove less than a hundredth of that: more does not pay
} locus_next;

// picks[batch] <- rows of evals (models = 1; missing scores: not yet asked; all may be missing) to evaluate next. The
// pool, with a memory (locus_pool_learn_recall), is the prior: what it knows of the queries' difficulty and how models
// differ. The rows also stand for the queries that the model is wanted for. See >>next. Allocates while it works (about
// 10 KB a row); 1,000 rows take 0.2 s. Fails: LOCUS_ERR_ARGUMENT (a pool without memory), _QUERY_DIM, _SCORE,
// _NONFINITE_INPUT, _NO_CANDIDATE, _MEMORY.
LOCUS_API locus_status locus_next_evaluations(const locus_pool *pool, const locus_evals *evals,
                                              const locus_next_opts *opts, size_t *picks, locus_next *out,
                                              locus_error *err);
// A set that was chosen well is not a fair sample, and would mislead whoever takes it for one. These are the model's
// evaluations completed by the same reckoning: chances[n] <- its scores where it has them, elsewhere its chances, for
// locus_pool_recall_model; answers[n] (may be NULL) <- the same as 0 and 1, as many of each as the chances add up to,
// for locus_encode, which has learned from answers. Allocates while it works (about 8 KB a row). Fails: as
// locus_next_evaluations.
LOCUS_API locus_status locus_complete_evaluations(const locus_pool *pool, const locus_evals *evals, float *chances,
                                                  unsigned char *answers, locus_error *err);

// ---- why

typedef struct locus_reason {
    size_t evaluation; // row of evals
    float similarity;  // cosine of its encoding with the query's
    float score;
    double influence; // p with it less p without it
} locus_reason;

typedef struct locus_explanation {
    size_t model, runner_up; // SIZE_MAX: there is none
    double probability, runner_up_probability, margin;
    size_t influences, nearest; // how many reasons of each kind
} locus_explanation;

typedef struct locus_explain_opts {
    size_t count;      // reasons wanted of each kind; 0: 8
    size_t candidates; // evaluations nearest to the query whose influence is looked at; 0: 256
    const unsigned char *available;
    const locus_parallel *parallel;
    int (*progress)(void *user, size_t done, size_t total);
    void *user;
} locus_explain_opts;

// Why does `model` have this chance on the query (query->count = 1)? evals: the model's (models = 1).
// influences[count]: those of the candidates whose leaving out moves p most, with either sign; nearest[count]: the
// evaluated queries nearest to it, nearest first, with their outcomes. An influence is exact: what taking the
// evaluation out, locus_encode, locus_pool_recall_model (if the model has a part in the memory) and locus_predict give,
// up to the sum's rounding. Of a single evaluation there is none (NaN): without it there is no model. runner_up: the
// likeliest of the other available models; without one its chance and the margin are NaN.
// One core, net of one layer, 256 candidates of 128 / 1,024 / 4,096 evaluations: 0.1 / 0.7 / 2.4 s. Allocates while it
// works. Fails: as locus_pool_resample and locus_predict.
LOCUS_API locus_status locus_explain(const locus_pool *pool, size_t model, const locus_evals *evals,
                                     const locus_queries *query, const locus_explain_opts *opts, locus_explanation *out,
                                     locus_reason *influences, locus_reason *nearest, locus_error *err);

// ---- refine: a running log of evaluations
//
// Keeps what models answered to a shared table of queries, and what the encoder makes of each query, so that a model's
// embedding after more evaluations costs one pass over its set and nothing else. The embedding is that of locus_encode
// on the same set, to the last bit. One thread at a time may use a log; the pool is not touched: others may go on
// routing. To publish: locus_pool_copy, locus_pool_set (and _remember) on the copy, exchange your pointer, destroy the
// old one when no one routes with it any more.

typedef struct locus_log locus_log;

// Room for `queries` encodings and `models` models; all memory is taken here: about 5.4 KB a query for a net of 128
// numbers and one layer, 12 bytes for each cell and 7 MB to work in. The net must outlive it.
// Fails: LOCUS_ERR_NO_ENCODER, _ARGUMENT, _OVERFLOW, _MEMORY.
LOCUS_API locus_status locus_log_create(locus_log **out, const locus_net *net, size_t queries, size_t models,
                                        locus_error *err);
LOCUS_API void locus_log_destroy(locus_log *log);
// The query's row; known encodings (to the bit) are found again, others appended. Score it before you ask for the next
// one: in a full log a row that no model has a score in is given to the next unknown query. Fails:
// LOCUS_ERR_NONFINITE, _ARGUMENT, _MEMORY (full: every row is some model's; then *row is SIZE_MAX).
LOCUS_API locus_status locus_log_query(locus_log *log, const float *encoding, size_t *row, locus_error *err);
// Append or replace: model's score (0 to 1; NaN takes it out) on the query of that row. Fails: LOCUS_ERR_ARGUMENT,
// _SCORE.
LOCUS_API locus_status locus_log_score(locus_log *log, size_t model, size_t row, float score, locus_error *err);
// Keep only the model's `keep` most recently scored evaluations (a window); 0: none.
LOCUS_API locus_status locus_log_forget(locus_log *log, size_t model, size_t keep, locus_error *err);
LOCUS_API size_t locus_log_evaluations(const locus_log *log, size_t model);
// z[z_dim] <- the model's embedding. Does not allocate; uses at most 8 threads. 4,096 evaluations: 9 ms on one core,
// where locus_encode takes 18. Fails: LOCUS_ERR_EMPTY_SET, _ARGUMENT, _NONFINITE_INPUT (overflow).
LOCUS_API locus_status locus_log_embed(locus_log *log, size_t model, float *z, const locus_parallel *parallel,
                                       locus_error *err);
// The log's evaluations of one model, for locus_pool_recall_model and others: all rows, NaN where it has no score;
// empty for a model that is none. Valid until the log changes.
LOCUS_API locus_evals locus_log_evals(const locus_log *log, size_t model);

// A pool of its own, on the heap, with the same content, memory, calibration and guard. Fails: LOCUS_ERR_MEMORY.
LOCUS_API locus_status locus_pool_copy(locus_pool **out, const locus_pool *pool, locus_error *err);
#endif // LOCUS_NO_EXPLORE

#ifndef LOCUS_NO_TRAIN
// ---- training (method.md, "Training")
//
// From evaluations alone to a net. A trainer owns its weights and buffers (from LOCUS_MALLOC, all at creation) and
// borrows the data, which must outlive it. One thread at a time may use a trainer; it spreads its own work over
// opts->parallel, and the weights do not depend on the number of threads in any bit.
//
//     locus_train_data data = {0};    locus_train_opts opts = {0};       // zero: our recipe
//     data.queries = ...; data.models = M; data.scores_u8 = ...;         // as in locus_evals
//     data.train = rows; data.train_count = n; data.validation = ...;    // which rows (queries) are for what
//     if (locus_train_create(&t, &data, &opts, &err) || locus_train_run(t, &err)) ...
//     locus_train_save(t, "net.safetensors", &err);                      // the best weights so far

typedef struct locus_trainer locus_trainer;

typedef struct locus_train_data {
    locus_evals evals;   // of all models on all queries
    const size_t *train; // [train_count] rows to learn from
    size_t train_count;
    const size_t *validation; // [validation_count] rows that choose the weights to keep; none: the last are kept
    size_t validation_count;
    const size_t *unlabelled; // [unlabelled_count] rows whose encodings alone may be used, or NULL: the training rows
    size_t unlabelled_count;
    const char *query_encoder; // its name, written into the net; NULL: none, or that of
    const locus_text *text;    // the text encoder that made the encodings, written into the net; NULL: none
} locus_train_data;

typedef enum locus_recipe {
    LOCUS_RECIPE_BEST = 0, // ours, for pools of any size
    LOCUS_RECIPE_PAPER     // the paper's and its authors' release, as method.md states it
} locus_recipe;

typedef enum locus_keep {
    LOCUS_KEEP_DEFAULT = 0, // the recipe's: BEST bce, PAPER hit1
    LOCUS_KEEP_BCE,         // lowest validation cross-entropy
    LOCUS_KEEP_HIT1,        // strictly highest validation routing accuracy
    LOCUS_KEEP_LAST
} locus_keep;

typedef struct locus_epoch { // what a callback sees after each epoch (one step over all models)
    size_t epoch, epochs;    // from 1
    double loss;             // mean cross-entropy over the step's targets of real models
    double gradient_norm;    // before clipping
    int evaluated, best;     // 1: metrics are of this epoch; 1: these weights are the best so far
    locus_metrics metrics;   // on the validation rows
    size_t best_epoch;
} locus_epoch;

// What a gradient hook sees: this process's share of the step's loss and of its gradient. The loss is a mean over all
// parts' targets, whose number every process knows; so the shares of all parts simply add up to what one process has.
typedef struct locus_gradient {
    float *gradient; // [count] change it in place
    size_t count;    // the trainer's flat layout, pads (always 0) included
    double *loss;    // change it in place; not a number where this process met one, so that all stop together
    double pairs;    // this process's (model, query) pairs, of real models
    size_t epoch;
} locus_gradient;

// 0 takes the recipe's value. Where 0 itself is meant (no dropout, no decay, ...), write a negative number.
typedef struct locus_train_opts {
    locus_recipe recipe;
    uint64_t seed;
    // the net                          BEST   PAPER
    size_t z_dim;                    // 128    128
    size_t n_heads;                  // 4      4
    size_t n_layers;                 // 1      2
    size_t m_induce;                 // 16     64
    size_t decoder_hidden;           // 64     64
    locus_encoder_kind encoder_kind; // isab   isab
    // the course
    size_t epochs;         // 300    2500    steps at most (150 for fewer than 128 rows)
    size_t patience;       // none   500     epochs without a new best
    size_t evaluate_every; // 20    1
    locus_keep keep;
    double average; // 0.95   none    decay of a running mean of the weights, which is what is evaluated and kept
    // the optimiser: AdamW, betas 0.9 and 0.999, epsilon 1e-8
    double encoder_rate;   // 1e-3   2e-4
    double predictor_rate; // 2e-3   8e-4
    int warmup;            // 10     none    epochs; then BEST goes down a cosine to 2 %, PAPER stays constant
    double weight_decay;   // 0.05   0.05
    double clip;           // 1      1       of the gradient's norm
    double dropout;        // 0.1    0.1     in the predictor
    double noise; // 0.05   0.10 -> 0.05 over 500 epochs: deviation of the noise on a unit-length encoding's entries
    // what a step sees
    size_t subset_min;     // 16     all     evaluations that the encoder sees: log-uniform between these,
    size_t subset_max;     // 1024   all     at most 3/4 of the training rows
    double skew;           // 0.3    none    share of steps whose subset crowds around one query
    size_t targets;        // 256+   all     training rows (half of them, 256 to 1024) that the predictor is asked about
    double seen;           // 0.25   1       share of them from the subset
    size_t virtual_models; // 26     none    drawn from an item-response model of the pool, anew each step
    int separate_noise;    // no     yes     noise for each (model, query), not for each query
    const locus_parallel *parallel;
    locus_isa isa;
    // Data-parallel training: models m with m % parts == part (virtual ones likewise) give gradients here; the hook
    // adds the others'. Data, seed and all else must be the same everywhere; draws do not depend on the parts.
    size_t part, parts; // 0, 0: all
    // After each epoch, and with a step's gradient before the optimiser uses it; nonzero stops (LOCUS_ERR_CANCELLED).
    int (*on_epoch)(void *user, const locus_epoch *epoch);
    int (*on_gradient)(void *user, const locus_gradient *gradient);
    void *user;
} locus_train_opts;

// Check data, resolve options, draw initial weights; allocates all that training takes. opts may be NULL. Fails:
// LOCUS_ERR_ARGUMENT, _QUERY_DIM, _SCORE, _NONFINITE_INPUT, _EMPTY_SET (a model without a training score),
// _ENCODER_MISMATCH, _HEADS, _ISA, _OVERFLOW, _MEMORY.
LOCUS_API locus_status locus_train_create(locus_trainer **out, const locus_train_data *data,
                                          const locus_train_opts *opts, locus_error *err);
LOCUS_API void locus_train_destroy(locus_trainer *trainer);
// The options as resolved.
LOCUS_API locus_train_opts locus_train_options(const locus_trainer *trainer);

// One epoch; out (may be NULL) receives what the callback saw. Fails: LOCUS_ERR_DIVERGED (names the epoch; the weights
// before it and the best are kept), _CANCELLED, _ARGUMENT (all `epochs` are done).
LOCUS_API locus_status locus_train_epoch(locus_trainer *trainer, locus_epoch *out, locus_error *err);
// Epochs until the last, or patience ends it. After LOCUS_ERR_CANCELLED it can go on with the next call.
LOCUS_API locus_status locus_train_run(locus_trainer *trainer, locus_error *err);

// The best weights so far as a net, to be destroyed by the caller; and as a net file. Both allocate while they work.
LOCUS_API locus_status locus_train_net(const locus_trainer *trainer, const locus_net_opts *opts, locus_net **out,
                                       locus_error *err);
#ifndef LOCUS_NO_STDIO
LOCUS_API locus_status locus_train_save(const locus_trainer *trainer, const char *path, locus_error *err);
// The whole state (weights, moments, counters), and back into a trainer made with the same data and options (both
// allocate while they work): training
// then goes on as if it had never stopped, to the last bit. Saved on little-endian machines only. Fails:
// LOCUS_ERR_MISMATCH where data, options or machine are others, or a number is none that training leaves.
LOCUS_API locus_status locus_train_save_state(const locus_trainer *trainer, const char *path, locus_error *err);
LOCUS_API locus_status locus_train_load_state(locus_trainer *trainer, const char *path, locus_error *err);
#endif
#endif // LOCUS_NO_TRAIN

#ifdef __cplusplus
}
#endif
#endif // LOCUS_H
#endif // !LOCUSI_KERNEL_PASS
// ============================================================ end of the interface: what follows is implementation

#if defined(LOCUS_IMPLEMENTATION) && !defined(LOCUSI_IMPLEMENTED) && !defined(LOCUSI_KERNEL_PASS)
// ---------------------------------------------------------------------------------------------------------- >>base

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#if defined(LOCUS_MALLOC) != defined(LOCUS_FREE)
#error "locus.h: define both LOCUS_MALLOC and LOCUS_FREE, or none"
#endif
#ifdef LOCUS_NO_MALLOC
#undef LOCUS_MALLOC
#undef LOCUS_FREE
#define LOCUS_MALLOC(bytes) ((void)(bytes), (void *)0)
#define LOCUS_FREE(pointer) ((void)(pointer))
#elif !defined(LOCUS_MALLOC)
#include <stdlib.h>
#define LOCUS_MALLOC(bytes) malloc(bytes)
#define LOCUS_FREE(pointer) free(pointer)
#endif
#ifndef LOCUS_ASSERT
#define LOCUS_ASSERT(x) ((void)0)
#endif

#ifndef LOCUS_NO_STDIO
#include <stdio.h>
#include <time.h>
#if !defined(LOCUS_NO_MMAP) && !defined(_WIN32) && (defined(__unix__) || defined(__APPLE__))
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define LOCUSI_MMAP 1
#else
#define LOCUSI_MMAP 0
#endif
#endif

// A private function; some configurations do not use all of them.
#if defined(__GNUC__) || defined(__clang__)
#define LOCUSI_FN static __attribute__((unused))
#else
#define LOCUSI_FN static
#endif

// Sums and products of sizes: 0 if they overflow.
LOCUSI_FN int locusi_add(size_t a, size_t b, size_t *out)
{
    *out = a + b;
    return *out >= a;
}

LOCUSI_FN int locusi_mul(size_t a, size_t b, size_t *out)
{
    *out = a * b;
    return a == 0 || *out / a == b;
}

// NaN and infinity are told by their bits, so that -ffast-math cannot optimise the tests away.
LOCUSI_FN uint32_t locusi_f32_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

LOCUSI_FN float locusi_f32_from(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

LOCUSI_FN int locusi_finite(float x) { return (locusi_f32_bits(x) & 0x7f800000u) != 0x7f800000u; }
LOCUSI_FN int locusi_is_nan(float x) { return (locusi_f32_bits(x) & 0x7fffffffu) > 0x7f800000u; }
LOCUSI_FN float locusi_nan(void) { return locusi_f32_from(0x7fc00000u); }

LOCUSI_FN uint64_t locusi_f64_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

LOCUSI_FN double locusi_f64_from(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// low <= x <= high, and finite: in a comparison alone -ffast-math lets NaN pass.
LOCUSI_FN int locusi_within(double x, double low, double high)
{
    return (locusi_f64_bits(x) & 0x7ff0000000000000u) != 0x7ff0000000000000u && x >= low && x <= high;
}

LOCUSI_FN int locusi_unknown(double x) { return (locusi_f64_bits(x) & 0x7fffffffffffffffu) > 0x7ff0000000000000u; }
// As costs, prices and counts are: finite and not negative, or NaN, unknown.
LOCUSI_FN int locusi_amount(double x) { return locusi_within(x, 0.0, DBL_MAX) || locusi_unknown(x); }

LOCUSI_FN int locusi_all_finite(const float *x, size_t n)
{
    uint32_t most = 0;
    size_t i;
    for (i = 0; i < n; i++) {
        const uint32_t size = locusi_f32_bits(x[i]) & 0x7fffffffu;
        most = size > most ? size : most;
    }
    return most < 0x7f800000u;
}

// Length of the UTF-8 sequence at s, n > 0 bytes being left; 0 if it is not valid (overlong, surrogate, cut off).
LOCUSI_FN size_t locusi_utf8(const unsigned char *s, size_t n)
{
    const unsigned char c = s[0];
    const size_t length = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    size_t i;
    if (length > n) return 0;
    for (i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f)) return 0;
    if ((c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f)) return 0;
    return length;
}

LOCUSI_FN int locusi_utf8_valid(const unsigned char *s, size_t n)
{
    size_t i = 0, step;
    for (; i < n; i += step)
        if (!(step = locusi_utf8(s + i, n - i))) return 0;
    return 1;
}

// ---- text, without snprintf: there may be no stdio, and no locale shall change a message

typedef struct locusi_text_out {
    char *text;
    size_t used, size; // size includes the terminator
} locusi_text_out;

// Whole or not at all, so that a UTF-8 sequence is never cut.
LOCUSI_FN void locusi_text_put(locusi_text_out *o, const char *s, size_t n)
{
    if (n < o->size - o->used) {
        memcpy(o->text + o->used, s, n);
        o->used += n;
    } else {
        o->size = o->used + 1; // full: what follows is dropped too
    }
    o->text[o->used] = 0;
}

LOCUSI_FN void locusi_text_uint(locusi_text_out *o, uint64_t v, unsigned base, size_t digits)
{
    char s[24];
    size_t at = sizeof s;
    do {
        s[--at] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v || sizeof s - at < digits);
    locusi_text_put(o, s + at, sizeof s - at);
}

// Text from outside: what a terminal might obey or not understand becomes '?'.
LOCUSI_FN void locusi_text_string(locusi_text_out *o, const char *s)
{
    size_t left = s ? strlen(s) : 0, n;
    for (; left; s += n, left -= n) {
        const unsigned char c = (unsigned char)*s;
        n = locusi_utf8((const unsigned char *)s, left);
        if (n == 0 || c < 32 || c == 127 || (c == 0xc2 && (unsigned char)s[1] < 0xa0)) {
            n = n ? n : 1;
            locusi_text_put(o, "?", 1);
        } else {
            locusi_text_put(o, s, n);
        }
    }
}

// Six significant digits at most, or nine where six would show 1.0000001 as 1: 1.5, -0.001, 1e+30, nan.
LOCUSI_FN void locusi_text_double(locusi_text_out *o, double x)
{
    const uint64_t bits = locusi_f64_bits(x), size = bits & 0x7fffffffffffffffu;
    locusi_text_out d;
    char digits[24] = "";
    int exponent = 5, i, count;
    uint64_t v, unit;
    if (size > 0x7ff0000000000000u) {
        locusi_text_put(o, "nan", 3);
        return;
    }
    if (bits >> 63) locusi_text_put(o, "-", 1);
    if (size == 0x7ff0000000000000u || size == 0) {
        locusi_text_put(o, size ? "inf" : "0", size ? 3 : 1);
        return;
    }
    x = fabs(x);
    for (; x >= 1e6; exponent++) x /= 10.0;
    for (; x < 1e5; exponent--) x *= 10.0; // now it has six digits before the point; its first counts 10^exponent
    v = (uint64_t)(x + 0.5);
    for (unit = 1, i = exponent; i >= -1 && i < 5; i++) unit *= 10;
    if (unit > 1 && v % unit == 0 && fabs(x - (double)v) > 1e-8) v = (uint64_t)(x * 1000.0 + 0.5);
    if (v == 1000000 || v == 1000000000) exponent++;
    while (v % 10 == 0) v /= 10;
    d.text = digits, d.used = 0, d.size = sizeof digits;
    locusi_text_uint(&d, v, 10, 1);
    count = (int)d.used;
    if (exponent < -4 || exponent > 8) { // d.ddde+xx
        locusi_text_put(o, digits, 1);
        if (count > 1) locusi_text_put(o, ".", 1);
        locusi_text_put(o, digits + 1, (size_t)count - 1);
        locusi_text_put(o, exponent < 0 ? "e-" : "e+", 2);
        locusi_text_uint(o, (uint64_t)(exponent < 0 ? -exponent : exponent), 10, 2);
        return;
    }
    for (i = exponent < 0 ? exponent : 0; i < count || i <= exponent; i++) { // i: place of the digit in `digits`
        locusi_text_put(o, i < 0 || i >= count ? "0" : digits + i, 1);
        if (i == exponent && i + 1 < count) locusi_text_put(o, ".", 1);
    }
}

// %s string, %z size_t, %d int, %u uint64_t, %x uint64_t as 16 hexadecimal digits, %f double, %%.
LOCUSI_FN void locusi_text_format(locusi_text_out *o, const char *format, va_list *args)
{
    for (; *format; format++) {
        size_t n = 0;
        while (format[n] && format[n] != '%') n++;
        if (n) {
            locusi_text_put(o, format, n);
            format += n - 1;
            continue;
        }
        switch (*++format) {
        case 's': locusi_text_string(o, va_arg(*args, const char *)); break;
        case 'z': locusi_text_uint(o, va_arg(*args, size_t), 10, 1); break;
        case 'u': locusi_text_uint(o, va_arg(*args, uint64_t), 10, 1); break;
        case 'x': locusi_text_uint(o, va_arg(*args, uint64_t), 16, 16); break;
        case 'f': locusi_text_double(o, va_arg(*args, double)); break;
        case 'd': {
            const int v = va_arg(*args, int);
            if (v < 0) locusi_text_put(o, "-", 1);
            locusi_text_uint(o, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, 1);
            break;
        }
        case 0: return;
        default: locusi_text_put(o, format, 1); break;
        }
    }
}

LOCUSI_FN void locusi_text(char *out, size_t size, const char *format, ...)
{
    locusi_text_out o;
    va_list args;
    o.text = out, o.used = 0, o.size = size;
    *out = 0;
    va_start(args, format);
    locusi_text_format(&o, format, &args);
    va_end(args);
}

// [2, 3]
LOCUSI_FN void locusi_shape_text(char *out, size_t size, size_t rank, const size_t *shape)
{
    locusi_text_out o;
    size_t i;
    o.text = out, o.used = 0, o.size = size;
    locusi_text_put(&o, "[", 1);
    for (i = 0; i < rank; i++) {
        if (i) locusi_text_put(&o, ", ", 2);
        locusi_text_uint(&o, shape[i], 10, 1);
    }
    locusi_text_put(&o, "]", 1);
}

LOCUS_API const char *locus_status_name(locus_status status)
{
#define LOCUSI_NAME(name, text) #name,
    static const char *const names[] = {LOCUS_STATUS_LIST(LOCUSI_NAME)};
#undef LOCUSI_NAME
    return (unsigned)status < (unsigned)LOCUS_STATUS_COUNT ? names[status] : "LOCUS_ERR_UNKNOWN";
}

LOCUS_API const char *locus_version(void) { return LOCUS_VERSION; }

// Fill err (may be NULL) and return status. The arguments of the three formats follow in their order.
LOCUSI_FN locus_status locusi_fail(locus_error *err, locus_status status, const char *where, const char *expected,
                                   const char *found, ...)
{
#define LOCUSI_TEXT(name, text) text,
    static const char *const texts[] = {LOCUS_STATUS_LIST(LOCUSI_TEXT)};
#undef LOCUSI_TEXT
    const char *const formats[3] = {where, expected, found};
    locusi_text_out o;
    va_list args;
    int i;
    if (!err) return status;
    err->status = status;
    err->bytes = 0;
    va_start(args, found);
    for (i = 0; i < 3; i++) {
        o.text = i == 0 ? err->where : i == 1 ? err->expected : err->found;
        o.used = 0, o.size = sizeof err->where;
        *o.text = 0;
        locusi_text_format(&o, formats[i], &args);
    }
    va_end(args);
    locusi_text(err->message, sizeof err->message, "%s%s%s%s%s%s%s", err->where, *err->where ? ": " : "", texts[status],
                *err->expected ? ": expected " : "", err->expected,
                !*err->found     ? ""
                : *err->expected ? ", found "
                                 : ": found ",
                err->found);
    return status;
}

// Heapsort: in place, no recursion, no bad case that a hostile file could build (qsort may allocate or go quadratic).
LOCUSI_FN void locusi_swap(unsigned char *a, unsigned char *b, size_t size)
{
    unsigned char t[16];
    for (; size;) {
        const size_t n = size < sizeof t ? size : sizeof t;
        memcpy(t, a, n);
        memcpy(a, b, n);
        memcpy(b, t, n);
        a += n, b += n, size -= n;
    }
}

LOCUSI_FN void locusi_sort(void *array, size_t count, size_t size, int (*order)(const void *, const void *))
{
    unsigned char *const base = (unsigned char *)array;
    size_t start = count / 2, end = count, root, child;
    while (end > 1) {
        if (start) start--;
        else if (--end) locusi_swap(base, base + end * size, size);
        for (root = start; root < end / 2 && (child = 2 * root + 1) < end; root = child) {
            if (child + 1 < end && order(base + child * size, base + (child + 1) * size) < 0) child++;
            if (order(base + root * size, base + child * size) >= 0) break;
            locusi_swap(base + root * size, base + child * size, size);
        }
    }
}

// ---- memory to work in: taken piece by piece, from run->memory or from the heap

enum { LOCUSI_ALIGN = 64 };

typedef struct locusi_block { // of the heap
    struct locusi_block *next;
} locusi_block;

typedef struct locusi_work {
    unsigned char *base; // run->memory, aligned; NULL: the heap
    size_t bytes, used;
    locusi_block *blocks;
    int missing; // something could not be had
} locusi_work;

LOCUSI_FN void locusi_work_begin(locusi_work *w, const locus_run *run)
{
    memset(w, 0, sizeof *w);
    if (!run || !run->memory) return;
    w->base = (unsigned char *)run->memory;
    w->used = (size_t)(0 - (uintptr_t)w->base) % LOCUSI_ALIGN;
    w->bytes = run->memory_bytes;
}

// count * size bytes on a line of the cache; NULL where they cannot be had: then locusi_work_short tells.
LOCUSI_FN void *locusi_take(locusi_work *w, size_t count, size_t size)
{
    size_t bytes, most;
    unsigned char *p = NULL;
    if (!locusi_mul(count ? count : 1, size, &bytes) || !locusi_add(bytes, 2 * LOCUSI_ALIGN, &most)) {
        w->missing = 1;
        w->used = SIZE_MAX;
        return NULL;
    }
    bytes = (bytes + LOCUSI_ALIGN - 1) / LOCUSI_ALIGN * LOCUSI_ALIGN;
    if (w->base) {
        if (w->used <= w->bytes && bytes <= w->bytes - w->used) p = w->base + w->used;
    } else if (!w->missing) {
        locusi_block *block = (locusi_block *)LOCUS_MALLOC(bytes + LOCUSI_ALIGN + sizeof(locusi_block));
        if (block) {
            block->next = w->blocks;
            w->blocks = block;
            p = (unsigned char *)(block + 1);
            p += (size_t)(0 - (uintptr_t)p) % LOCUSI_ALIGN;
        }
    }
    if (!locusi_add(w->used, bytes, &w->used)) w->used = SIZE_MAX;
    if (!p) w->missing = 1;
    return p;
}

LOCUSI_FN void *locusi_take_zero(locusi_work *w, size_t count, size_t size)
{
    void *const p = locusi_take(w, count, size);
    if (p) memset(p, 0, count * size);
    return p;
}

// Was anything that was taken so far not there? Says how much all of it is.
LOCUSI_FN locus_status locusi_work_short(const locusi_work *w, locus_error *err)
{
    if (!w->missing) return LOCUS_OK;
    if (w->used == SIZE_MAX) return locusi_fail(err, LOCUS_ERR_OVERFLOW, "memory", "sizes of this machine", "more");
    locusi_fail(err, LOCUS_ERR_MEMORY, "memory", "%z bytes", "%z", w->used, w->bytes);
    if (err) err->bytes = w->used + LOCUSI_ALIGN;
    return LOCUS_ERR_MEMORY;
}

LOCUSI_FN void locusi_blocks_free(locusi_block *blocks)
{
    while (blocks) {
        locusi_block *const block = blocks;
        blocks = block->next;
        LOCUS_FREE(block);
    }
}

LOCUSI_FN void locusi_work_end(locusi_work *w) { locusi_blocks_free(w->blocks); }

// ---- scores

// Where row `model` begins; n: the columns where the table does not say.
LOCUSI_FN size_t locusi_score_row(const locus_scores *s, size_t n, size_t model)
{
    return model * (s->stride ? s->stride : s->count ? s->count : n);
}

// 1 and *y, or 0 where the score is missing or masked out.
LOCUSI_FN int locusi_score_in(const locus_scores *s, size_t at, float *y)
{
    if (s->mask && !s->mask[at]) return 0;
    if (s->f32) {
        *y = s->f32[at];
        return !locusi_is_nan(*y);
    }
    *y = (float)s->u8[at];
    return s->u8[at] != 255;
}

LOCUSI_FN int locusi_score_at(const locus_scores *s, size_t model, size_t column, float *y)
{
    return locusi_score_in(s, locusi_score_row(s, 0, model) + column, y);
}

LOCUSI_FN int locusi_score(const locus_evals *e, size_t model, size_t i, float *y)
{
    return locusi_score_in(&e->scores, locusi_score_row(&e->scores, e->queries.count, model) + i, y);
}

// The table's shape. models: as many rows are wanted, 0: at least one; n: queries beside it.
LOCUSI_FN locus_status locusi_check_table(const locus_scores *s, size_t models, size_t n, locus_error *err)
{
    size_t cells;
    if (!s->f32 == !s->u8)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "scores", "f32 or u8", "%s", s->f32 ? "both" : "neither");
    if (models ? s->models != models : !s->models)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "scores.models", models ? "%z" : "at least 1", "%z",
                           models ? models : s->models, s->models);
    if (s->count && s->count != n)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "scores.count", "%z, as many as queries", "%z", n, s->count);
    if (s->stride && s->stride < n)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "scores.stride", "0 or at least %z", "%z", n, s->stride);
    if (!locusi_mul(s->models, s->stride ? s->stride : n, &cells) || n >= UINT32_MAX)
        return locusi_fail(err, LOCUS_ERR_OVERFLOW, "scores", "fewer cells", "%z x %z", s->models, n);
    return LOCUS_OK;
}

// Shape and scores.
LOCUSI_FN locus_status locusi_check_scores(const locus_scores *s, size_t models, size_t n, locus_error *err)
{
    const locus_status status = locusi_check_table(s, models, n, err);
    size_t m, i;
    float y = 0.0f;
    if (status) return status;
    for (m = 0; m < s->models; m++)
        for (i = 0; i < n; i++)
            if (locusi_score_in(s, locusi_score_row(s, n, m) + i, &y) && !(y >= 0.0f && y <= 1.0f))
                return locusi_fail(err, LOCUS_ERR_SCORE, "scores[%z, %z]",
                                   s->f32 ? "0 to 1, or NaN for missing" : "0, 1, or 255 for missing", "%f", m, i,
                                   (double)y);
    return LOCUS_OK;
}

// ---- numbers in files: little-endian, any alignment

LOCUSI_FN int locusi_host_is_little(void)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first;
}

// Every bit of the result depends on every bit of h.
LOCUSI_FN uint64_t locusi_mix(uint64_t h)
{
    h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93u;
    h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93u;
    return h ^ (h >> 32);
}

LOCUSI_FN uint16_t locusi_le16(const unsigned char *p) { return (uint16_t)(p[0] | p[1] << 8); }
LOCUSI_FN uint32_t locusi_le32(const unsigned char *p)
{
    return (uint32_t)locusi_le16(p) | (uint32_t)locusi_le16(p + 2) << 16;
}
LOCUSI_FN uint64_t locusi_le64(const unsigned char *p)
{
    return (uint64_t)locusi_le32(p) | (uint64_t)locusi_le32(p + 4) << 32;
}

// Copy `count` numbers of `size` bytes between the file's and the host's byte order.
LOCUSI_FN void locusi_copy_le(void *to, const void *from, size_t count, size_t size)
{
    const unsigned char *s = (const unsigned char *)from;
    unsigned char *d = (unsigned char *)to;
    size_t i, k;
    if (count == 0) return;
    if (size == 1 || locusi_host_is_little()) {
        memcpy(to, from, count * size);
        return;
    }
    for (i = 0; i < count; i++, s += size, d += size)
        for (k = 0; k < size; k++) d[k] = s[size - 1 - k];
}

LOCUSI_FN float locusi_f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, magnitude = h & 0x7fffu;
    if (magnitude >= 0x7c00u) return locusi_f32_from(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    if (magnitude >= 0x0400u) return locusi_f32_from(sign | ((magnitude << 13) + 0x38000000u));
    return locusi_f32_from(sign | locusi_f32_bits((float)magnitude * 5.9604644775390625e-8f)); // subnormal: * 2^-24
}

typedef struct locusi_dtype {
    const char *name, *descr; // of safetensors, of .npy
    locus_dtype dtype;
    unsigned bits;
} locusi_dtype;

// By the name, else the .npy type, else the number; NULL if there is none.
LOCUSI_FN const locusi_dtype *locusi_dtype_find(const char *name, const char *descr, locus_dtype dtype)
{
    static const locusi_dtype table[] = {
        {"F32", "<f4", LOCUS_F32, 32},
        {"F16", "<f2", LOCUS_F16, 16},
        {"F64", "<f8", LOCUS_F64, 64},
        {"U8", "|u1", LOCUS_U8, 8},
        {"I32", "<i4", LOCUS_I32, 32},
        {"I64", "<i8", LOCUS_I64, 64},
        {"BOOL", "|b1", LOCUS_BOOL, 8},
        {"BF16", "", LOCUS_BF16, 16},
        {"I8", "", LOCUS_DTYPE_OTHER, 8},
        {"I16", "", LOCUS_DTYPE_OTHER, 16},
        {"U16", "", LOCUS_DTYPE_OTHER, 16},
        {"U32", "", LOCUS_DTYPE_OTHER, 32},
        {"U64", "", LOCUS_DTYPE_OTHER, 64},
        {"C64", "", LOCUS_DTYPE_OTHER, 64},
        {"F4", "", LOCUS_DTYPE_OTHER, 4},
        {"F6_E2M3", "", LOCUS_DTYPE_OTHER, 6},
        {"F6_E3M2", "", LOCUS_DTYPE_OTHER, 6},
        {"F8_E5M2", "", LOCUS_DTYPE_OTHER, 8},
        {"F8_E4M3", "", LOCUS_DTYPE_OTHER, 8},
        {"F8_E8M0", "", LOCUS_DTYPE_OTHER, 8},
        {"F8_E4M3FNUZ", "", LOCUS_DTYPE_OTHER, 8},
        {"F8_E5M2FNUZ", "", LOCUS_DTYPE_OTHER, 8},
    };
    size_t i;
    for (i = 0; i < sizeof table / sizeof table[0]; i++)
        if (name    ? strcmp(table[i].name, name) == 0
            : descr ? (*descr && strcmp(table[i].descr, descr) == 0) ||
                          (table[i].bits == 8 && *descr == '<' && *table[i].descr &&
                           strcmp(table[i].descr + 1, descr + 1) == 0)
                    : table[i].dtype == dtype && dtype != LOCUS_DTYPE_OTHER)
            return &table[i];
    return NULL;
}

// Of one element; 0 for LOCUS_DTYPE_OTHER and what is none.
LOCUSI_FN size_t locusi_dtype_bytes(locus_dtype dtype)
{
    const locusi_dtype *const type = locusi_dtype_find(NULL, NULL, dtype);
    return type ? type->bits / 8 : 0;
}

// One number at p, in the machine's byte order but at any address.
LOCUSI_FN float locusi_number(const void *p, size_t size, locus_dtype dtype)
{
    union {
        uint8_t u8;
        uint16_t u16;
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
    } v;
    memcpy(&v, p, size);
    switch (dtype) {
    case LOCUS_U8: return (float)v.u8;
    case LOCUS_BOOL: return v.u8 ? 1.0f : 0.0f;
    case LOCUS_I32: return (float)v.i32;
    case LOCUS_I64: return (float)v.i64;
    case LOCUS_F16: return locusi_f16_to_f32(v.u16);
    case LOCUS_BF16: return locusi_f32_from((uint32_t)v.u16 << 16);
    case LOCUS_F64: return (float)v.f64;
    default: return v.f32;
    }
}

// From numbers in the machine's byte order, or (little) in the file's.
LOCUSI_FN void locusi_convert(float *out, const void *from, size_t count, locus_dtype dtype, int little)
{
    const size_t size = locusi_dtype_bytes(dtype);
    const unsigned char *p = (const unsigned char *)from;
    unsigned char one[8];
    size_t i;
    if (dtype == LOCUS_F32) {
        if (little) locusi_copy_le(out, p, count, size);
        else if (count) memcpy(out, p, count * size);
        return;
    }
    for (i = 0; i < count; i++, p += size) {
        if (little) locusi_copy_le(one, p, 1, size);
        out[i] = locusi_number(little ? one : p, size, dtype);
    }
}

// Number of elements of a shape; 0 if it overflows, also where a later dimension is 0, so that order does not matter.
LOCUSI_FN int locusi_shape_count(const size_t *shape, size_t rank, size_t *count)
{
    size_t i, product = 1;
    int zero = 0;
    for (i = 0; i < rank; i++) {
        if (shape[i] == 0) zero = 1;
        else if (!locusi_mul(product, shape[i], &product)) return 0;
    }
    *count = zero ? 0 : product;
    return 1;
}

// ---- files

LOCUSI_FN void locusi_file_close(locus_file *f)
{
    if (f->owner == 1) LOCUS_FREE((void *)(uintptr_t)f->data);
#if !defined(LOCUS_NO_STDIO) && LOCUSI_MMAP
    if (f->owner == 2) munmap((void *)(uintptr_t)f->data, f->bytes);
#endif
    memset(f, 0, sizeof *f);
}

#ifndef LOCUS_NO_STDIO
// All that comes: of a pipe, too.
LOCUSI_FN locus_status locusi_file_read(locus_file *f, FILE *in, const char *path, locus_error *err)
{
    size_t room = 0, used = 0, n;
    unsigned char *data = NULL;
    do {
        if (used == room) {
            const size_t more = room ? 2 * room : (size_t)1 << 16;
            unsigned char *const grown = more > room ? (unsigned char *)LOCUS_MALLOC(more) : NULL;
            if (grown && used) memcpy(grown, data, used);
            if (data) LOCUS_FREE(data);
            if (!grown) return locusi_fail(err, LOCUS_ERR_MEMORY, "%s", "%z bytes", "none", path, more);
            data = grown;
            room = more;
        }
        n = fread(data + used, 1, room - used, in);
        used += n;
    } while (n);
    if (ferror(in)) {
        LOCUS_FREE(data);
        return locusi_fail(err, LOCUS_ERR_IO, "%s", "a file that can be read", "another error", path);
    }
    f->data = data;
    f->bytes = used;
    f->owner = 1;
    return LOCUS_OK;
}

#if LOCUSI_MMAP
LOCUSI_FN int locusi_file_map(locus_file *f, const char *path)
{
    struct stat info;
    void *map = MAP_FAILED;
    int fd;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode) || (fd = open(path, O_RDONLY)) < 0) return 0;
    if (fstat(fd, &info) == 0 && info.st_size > 0 && (uint64_t)info.st_size <= SIZE_MAX)
        map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED) return 0;
    f->data = (const unsigned char *)map;
    f->bytes = (size_t)info.st_size;
    f->owner = 2;
    return 1;
}
#endif

// Mapped where that is possible, else read.
LOCUSI_FN locus_status locusi_file_open(locus_file *f, const char *path, locus_error *err)
{
    locus_status status;
    FILE *in;
    memset(f, 0, sizeof *f);
    if (!path) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "path", "a string", "NULL");
#if LOCUSI_MMAP
    if (locusi_file_map(f, path)) return LOCUS_OK;
#endif
    if (!(in = fopen(path, "rb"))) return locusi_fail(err, LOCUS_ERR_IO, "%s", "a readable file", "", path);
    status = locusi_file_read(f, in, path, err);
    fclose(in);
    return status;
}

#ifndef LOCUS_INFERENCE_ONLY
#ifdef _WIN32 // rename() there does not replace; declared here to do without <windows.h>
#ifdef __cplusplus
extern "C"
#endif
    __declspec(dllimport) int __stdcall MoveFileExA(const char *from, const char *to, unsigned long flags);
#endif

// Writes beside the target and renames at the end: the file appears whole or not at all. Without `file` it only counts.
typedef struct locusi_writer {
    FILE *file;
    size_t bytes;
    int failed;
    const char *path;
    char temp[4096];
} locusi_writer;

LOCUSI_FN void locusi_write(locusi_writer *w, const void *data, size_t bytes)
{
    if (w->file && bytes && !w->failed && fwrite(data, 1, bytes, w->file) != bytes) w->failed = 1;
    if (!locusi_add(w->bytes, bytes, &w->bytes)) w->failed = 1;
}

LOCUSI_FN void locusi_write_text(locusi_writer *w, const char *text) { locusi_write(w, text, strlen(text)); }

LOCUSI_FN locus_status locusi_writer_open(locusi_writer *w, const char *path, locus_error *err)
{
    uint64_t unique = (uint64_t)time(NULL) * 1000003u + (uint64_t)clock() * 8191u + (uint64_t)(uintptr_t)w;
    int tries;
    w->file = NULL;
    w->bytes = 0;
    w->failed = 0;
    w->path = path;
    if (strlen(path) > sizeof w->temp - 32) return locusi_fail(err, LOCUS_ERR_IO, "%s", "a shorter path", "", path);
    for (tries = 0; tries < 16 && !w->file; tries++, unique = unique * 6364136223846793005u + 1442695040888963407u) {
        const size_t n = strlen(path);
        memcpy(w->temp, path, n);
        locusi_text(w->temp + n, 32, ".%x.tmp", unique ^ unique >> 29);
#if defined(_WIN32) && !defined(_UCRT)
        w->file = fopen(w->temp, "wb"); // old runtimes refuse the x
#else
        w->file = fopen(w->temp, "wbx"); // x: never an existing file
#endif
    }
    if (!w->file) return locusi_fail(err, LOCUS_ERR_IO, "%s", "a place that can be written", "", path);
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_writer_close(locusi_writer *w, locus_error *err)
{
    if (fflush(w->file) != 0 || ferror(w->file)) w->failed = 1;
    if (fclose(w->file) != 0) w->failed = 1;
#ifdef _WIN32
    if (!w->failed && !MoveFileExA(w->temp, w->path, 1 | 8)) w->failed = 1; // replace, write through
#else
    if (!w->failed && rename(w->temp, w->path) != 0) w->failed = 1;
#endif
    if (!w->failed) return LOCUS_OK;
    remove(w->temp);
    return locusi_fail(err, LOCUS_ERR_IO, "%s", "%z bytes written", "less", w->path, w->bytes);
}
#endif // LOCUS_INFERENCE_ONLY
#endif // LOCUS_NO_STDIO

// --------------------------------------------------------------------------------------------------- >>safetensors
//
//     8 bytes  N, little-endian
//     N bytes  JSON: {"__metadata__": {key: string, ...},
//                     name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
//     data     the tensors, without a hole or overlap, to the end of the file
//
// Read in one go and strictly: whatever is no JSON, or not what is expected, is an error. Names that occur twice are
// errors (compared after unescaping); the values of a tensor's unknown keys are checked as JSON and passed over.

enum { LOCUSI_JSON_DEPTH = 128, LOCUSI_MAX_HEADER = 100000000, LOCUSI_MAX_LISTED = 100000 };

// ---- a text that is read once, from left to right. The first fault stays: nothing is taken after it.

typedef struct locusi_cursor {
    const unsigned char *text;
    size_t length, at;
    const char *what; // of what: "header"
    locus_status status;
    locus_error *err;
} locusi_cursor;

LOCUSI_FN void locusi_expected(locusi_cursor *c, const char *expected)
{
    char found[4] = "'?'";
    if (c->status) return;
    if (c->at < c->length && c->text[c->at] < 0x7f) found[1] = (char)c->text[c->at];
    c->status = locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s byte %z", "%s", "%s", c->what, c->at, expected,
                            c->at < c->length ? found : "the end");
}

LOCUSI_FN int locusi_is_space(unsigned char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
LOCUSI_FN int locusi_is_digit(unsigned char c) { return c >= '0' && c <= '9'; }

// The character at the cursor as it is; 0 at the end and after a fault (a 0 in the text is refused wherever it stands).
LOCUSI_FN unsigned char locusi_here(const locusi_cursor *c)
{
    return c->at < c->length && !c->status ? c->text[c->at] : 0;
}

// The next that is not white space.
LOCUSI_FN unsigned char locusi_peek(locusi_cursor *c)
{
    while (locusi_is_space(locusi_here(c))) c->at++;
    return locusi_here(c);
}

LOCUSI_FN int locusi_accept(locusi_cursor *c, const char *word)
{
    const size_t n = strlen(word);
    locusi_peek(c);
    if (c->status || c->length - c->at < n || memcmp(c->text + c->at, word, n) != 0) return 0;
    c->at += n;
    return 1;
}

LOCUSI_FN void locusi_expect(locusi_cursor *c, const char *word, const char *expected)
{
    if (!locusi_accept(c, word)) locusi_expected(c, expected);
}

// In a list that has been opened: is there another element? *count of them have been read.
LOCUSI_FN int locusi_more(locusi_cursor *c, const char *closing, size_t *count)
{
    if (locusi_accept(c, closing)) return 0;
    if (*count) locusi_expect(c, ",", *closing == '}' ? "',' or '}'" : *closing == ']' ? "',' or ']'" : "',' or ')'");
    ++*count;
    return !c->status;
}

// A whole number of at least 0, without sign, point or exponent.
LOCUSI_FN size_t locusi_read_size(locusi_cursor *c, const char *expected)
{
    size_t v = 0;
    const int zero = locusi_peek(c) == '0';
    if (!locusi_is_digit(locusi_here(c))) locusi_expected(c, expected);
    for (; locusi_is_digit(locusi_here(c)) && !c->status; c->at++)
        if (!locusi_mul(v, 10, &v) || !locusi_add(v, (size_t)(c->text[c->at] - '0'), &v))
            c->status = locusi_fail(c->err, LOCUS_ERR_OVERFLOW, "%s byte %z", "a number that fits the address space",
                                    "more", c->what, c->at);
        else if (zero && v) locusi_expected(c, "no leading zero");
    return v;
}

// ---- JSON

LOCUSI_FN unsigned locusi_hex4(const locusi_cursor *c, size_t at) // the value of \uXXXX at `at`, or more than 0xffff
{
    unsigned v = 0, i;
    if (at > c->length || c->length - at < 6 || c->text[at] != '\\' || c->text[at + 1] != 'u') return 0x10000u;
    for (i = 2; i < 6; i++) {
        const unsigned char digit = c->text[at + i], letter = digit | 32u; // lower case
        if (!locusi_is_digit(digit) && (letter < 'a' || letter > 'f')) return 0x10000u;
        v = v << 4 | (locusi_is_digit(digit) ? digit - 48u : letter - 87u);
    }
    return v;
}

// Behind a backslash: the character that is meant, as UTF-8. Returns its bytes.
LOCUSI_FN size_t locusi_json_escape(locusi_cursor *c, unsigned char out[4])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *const named = c->at + 1 < c->length ? strchr(from, c->text[c->at + 1]) : NULL;
    uint32_t code = locusi_hex4(c, c->at);
    if (named && *named) {
        out[0] = (unsigned char)to[named - from];
        c->at += 2;
        return 1;
    }
    if (code > 0xffff) {
        locusi_expected(c, "one of \"\\/bfnrt, or u and four hexadecimal digits, after \\");
        return 0;
    }
    if (code >= 0xd800 && code < 0xe000) {
        const unsigned low = code < 0xdc00 ? locusi_hex4(c, c->at + 6) : 0;
        if (low < 0xdc00 || low > 0xdfff) {
            locusi_expected(c, "surrogates in pairs");
            return 0;
        }
        code = 0x10000u + ((code - 0xd800u) << 10) + (low - 0xdc00u);
        c->at += 6;
    }
    c->at += 6;
    out[0] = (unsigned char)code;
    if (code < 0x80) return 1;
    out[1] = (unsigned char)(0x80u | (code & 63u));
    out[0] = (unsigned char)(0xc0u | code >> 6);
    if (code < 0x800) return 2;
    out[2] = out[1];
    out[1] = (unsigned char)(0x80u | (code >> 6 & 63u));
    out[0] = (unsigned char)(0xe0u | code >> 12);
    if (code < 0x10000u) return 3;
    out[3] = out[2];
    out[2] = out[1];
    out[1] = (unsigned char)(0x80u | (code >> 12 & 63u));
    out[0] = (unsigned char)(0xf0u | code >> 18);
    return 4;
}

// A string, unescaped into out as far as it fits, terminated. Returns its full length; SIZE_MAX if it has a NUL in it,
// which JSON allows and C does not.
LOCUSI_FN size_t locusi_json_string(locusi_cursor *c, char *out, size_t size)
{
    size_t length = 0, n, i;
    int nul = 0;
    locusi_expect(c, "\"", "a string in double quotes");
    while (!c->status && locusi_here(c) != '"') {
        unsigned char bytes[4];
        if (c->at >= c->length) locusi_expected(c, "the end of the string");
        else if (locusi_here(c) < 32) locusi_expected(c, "no control character in a string");
        if (c->status) break;
        n = 1;
        if (locusi_here(c) == '\\') n = locusi_json_escape(c, bytes);
        else bytes[0] = c->text[c->at++]; // the bytes of a longer sequence come one by one
        if (n && !bytes[0]) nul = 1;
        for (i = 0; i < n && length + i + 1 < size; i++) out[length + i] = (char)bytes[i];
        length += n;
    }
    c->at++;
    if (size) out[length < size ? length : size - 1] = 0;
    return nul ? SIZE_MAX : length;
}

LOCUSI_FN void locusi_json_digits(locusi_cursor *c)
{
    if (!locusi_is_digit(locusi_here(c))) locusi_expected(c, "a digit");
    while (locusi_is_digit(locusi_here(c))) c->at++;
}

LOCUSI_FN void locusi_json_scalar(locusi_cursor *c)
{
    const unsigned char first = locusi_peek(c);
    if (first == '"') locusi_json_string(c, NULL, 0);
    else if (first != '-' && !locusi_is_digit(first)) {
        if (!locusi_accept(c, "true") && !locusi_accept(c, "false")) locusi_expect(c, "null", "a value");
    } else {
        if (first == '-') c->at++;
        if (locusi_here(c) == '0') c->at++; // no digit may follow: the caller finds it
        else locusi_json_digits(c);
        if (locusi_here(c) == '.') {
            c->at++;
            locusi_json_digits(c);
        }
        if (locusi_here(c) == 'e' || locusi_here(c) == 'E') {
            c->at++;
            if (locusi_here(c) == '+' || locusi_here(c) == '-') c->at++;
            locusi_json_digits(c);
        }
    }
}

LOCUSI_FN size_t locusi_json_key(locusi_cursor *c, char *out, size_t size)
{
    const size_t length = locusi_json_string(c, out, size);
    locusi_expect(c, ":", "':'");
    return length;
}

// Over a value of any kind that stands `depth` levels deep. No recursion: the open brackets are kept as a list.
LOCUSI_FN void locusi_json_skip(locusi_cursor *c, size_t depth)
{
    char closing[LOCUSI_JSON_DEPTH][2];
    size_t count[LOCUSI_JSON_DEPTH];
    const size_t outside = depth;
    do {
        const unsigned char first = locusi_peek(c);
        if (first == '{' || first == '[') {
            if (depth == LOCUSI_JSON_DEPTH) locusi_expected(c, "no more than 128 levels");
            if (c->status) return;
            closing[depth][0] = (char)(first + 2); // ASCII: '{' '|' '}' and '[' '\\' ']'
            closing[depth][1] = 0;
            count[depth++] = 0;
            c->at++;
        } else {
            locusi_json_scalar(c);
        }
        while (depth > outside && !locusi_more(c, closing[depth - 1], &count[depth - 1]) && !c->status) depth--;
        if (depth > outside && closing[depth - 1][0] == '}') locusi_json_key(c, NULL, 0);
    } while (depth > outside && !c->status);
}

LOCUSI_FN const char *locusi_json_kind(locusi_cursor *c)
{
    switch (locusi_peek(c)) {
    case '{': return "an object";
    case '[': return "an array";
    case '"': return "a string";
    case 't':
    case 'f': return "a boolean";
    case 'n': return "null";
    default: return "a number";
    }
}

// ---- tensors

// Count and bytes from shape and type.
LOCUSI_FN locus_status locusi_tensor_size(locus_tensor *t, locus_error *err)
{
    const locusi_dtype *const type = locusi_dtype_find(t->dtype_name, NULL, t->dtype);
    char shape[80];
    size_t bits;
    if (!type)
        return locusi_fail(err, LOCUS_ERR_FORMAT, "%s", "the dtype F32, F16, BF16, ...", "%s", t->name,
                           t->dtype_name ? t->dtype_name : "none");
    t->dtype = type->dtype;
    t->dtype_name = type->name;
    if (t->rank > 8) return locusi_fail(err, LOCUS_ERR_FORMAT, "%s", "rank 8 or less", "%z", t->name, t->rank);
    if (!locusi_shape_count(t->shape, t->rank, &t->count) || !locusi_mul(t->count, type->bits, &bits)) {
        locusi_shape_text(shape, sizeof shape, t->rank, t->shape);
        return locusi_fail(err, LOCUS_ERR_OVERFLOW, "%s", "a shape that fits the address space", "%s", t->name, shape);
    }
    if (bits % 8) return locusi_fail(err, LOCUS_ERR_FORMAT, "%s", "whole bytes", "%z bits", t->name, bits);
    t->bytes = bits / 8;
    return LOCUS_OK;
}

// An array of at most `most` sizes; returns how many.
LOCUSI_FN size_t locusi_json_sizes(locusi_cursor *c, size_t *out, size_t most, const char *name, const char *what)
{
    size_t count = 0;
    if (locusi_peek(c) != '[' && !c->status)
        c->status =
            locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "%s as an array", "%s", name, what, locusi_json_kind(c));
    locusi_expect(c, "[", "'['");
    while (locusi_more(c, "]", &count)) {
        const char *const kind = locusi_json_kind(c);
        if (count > most) {
            c->status =
                locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "%s of at most %z numbers", "more", name, what, most);
            break;
        }
        if (locusi_is_digit(locusi_here(c))) out[count - 1] = locusi_read_size(c, "a digit");
        if (!c->status && locusi_peek(c) != ',' && locusi_here(c) != ']')
            c->status = locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "%s of non-negative integers", "%s", name, what,
                                    kind[2] == 'n' ? "a negative number or a fraction" : kind);
    }
    return count;
}

// A tensor's entry.
LOCUSI_FN void locusi_json_tensor(locusi_cursor *c, locus_tensor *t, const unsigned char *data, size_t data_bytes)
{
    static const char *const keys[3] = {"dtype", "shape", "data_offsets"};
    size_t offsets[2] = {0, 0}, members = 0, seen[3] = {0, 0, 0}, length, count = 2, i;
    char key[16], type[16];
    if (locusi_peek(c) != '{' && !c->status)
        c->status = locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "an object", "%s", t->name, locusi_json_kind(c));
    locusi_expect(c, "{", "'{'");
    for (i = 0; i < 8; i++) t->shape[i] = 1;
    while (locusi_more(c, "}", &members)) {
        length = locusi_json_key(c, key, sizeof key);
        for (i = 0; i < 3 && (length >= sizeof key || strcmp(key, keys[i]) != 0); i++) {}
        if (c->status) break;
        if (i == 3) {
            locusi_json_skip(c, 2);
        } else if (seen[i]++) {
            c->status = locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "one %s", "two", t->name, keys[i]);
        } else if (i == 1) {
            t->rank = locusi_json_sizes(c, t->shape, 8, t->name, keys[1]);
        } else if (i == 2) {
            count = locusi_json_sizes(c, offsets, 2, t->name, keys[2]);
        } else if (locusi_peek(c) != '"') {
            c->status =
                locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "dtype as a string", "%s", t->name, locusi_json_kind(c));
        } else if (locusi_json_string(c, type, sizeof type) >= sizeof type ||
                   !locusi_dtype_find(type, NULL, LOCUS_U8)) {
            if (!c->status)
                c->status = locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "the dtype F32, F16, BF16, ...", "\"%s\"",
                                        t->name, type);
        } else {
            t->dtype_name = locusi_dtype_find(type, NULL, LOCUS_U8)->name;
        }
    }
    for (i = 0; i < 3 && !c->status; i++)
        if (!seen[i]) c->status = locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "%s", "none", t->name, keys[i]);
    if (c->status || (c->status = locusi_tensor_size(t, c->err)) != LOCUS_OK) return;
    if (count != 2) c->status = locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "2 data_offsets", "%z", t->name, count);
    else if (offsets[1] < offsets[0])
        c->status = locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "data to end at %z or later", "%z", t->name, offsets[0],
                                offsets[1]);
    else if (offsets[1] - offsets[0] != t->bytes)
        c->status = locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "%z bytes by its shape", "%z by its offsets", t->name,
                                t->bytes, offsets[1] - offsets[0]);
    else if (offsets[1] > data_bytes)
        c->status = locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "data to end within the file's %z bytes", "%z", t->name,
                                data_bytes, offsets[1]);
    else t->data = data + offsets[0];
}

// Where names and values are kept: unescaping never lengthens, and the quotes leave room for the terminator.
LOCUSI_FN const char *locusi_json_keep(locusi_cursor *c, char **text, locus_status nul)
{
    char *const kept = *text;
    const size_t length = locusi_json_string(c, kept, c->length - c->at);
    if (length == SIZE_MAX && !c->status) c->status = locusi_fail(c->err, nul, "%s", "text", "a NUL character", kept);
    if (!c->status) *text += length + 1;
    return kept;
}

LOCUSI_FN void locusi_json_metadata(locusi_cursor *c, locus_safetensors *out, char **text)
{
    if (locusi_peek(c) != '{')
        c->status = locusi_fail(c->err, LOCUS_ERR_METADATA, "__metadata__", "an object", "%s", locusi_json_kind(c));
    locusi_expect(c, "{", "'{'");
    while (locusi_more(c, "}", &out->metadata_count)) {
        locus_metadata *const m = &out->metadata[out->metadata_count - 1];
        if (out->metadata_count > LOCUSI_MAX_LISTED) {
            c->status = locusi_fail(c->err, LOCUS_ERR_OVERFLOW, "__metadata__", "at most 100000 entries", "more");
            break;
        }
        m->key = locusi_json_keep(c, text, LOCUS_ERR_METADATA);
        locusi_expect(c, ":", "':'");
        if (!c->status && locusi_peek(c) != '"')
            c->status = locusi_fail(c->err, LOCUS_ERR_METADATA, "%s", "a string", "%s", m->key, locusi_json_kind(c));
        m->value = locusi_json_keep(c, text, LOCUS_ERR_METADATA);
    }
}

LOCUSI_FN int locusi_tensor_name_order(const void *a, const void *b)
{
    return strcmp(((const locus_tensor *)a)->name, ((const locus_tensor *)b)->name);
}

LOCUSI_FN int locusi_tensor_data_order(const void *a, const void *b)
{
    const locus_tensor *const x = (const locus_tensor *)a, *const y = (const locus_tensor *)b;
    const uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data, n = (uintptr_t)x->name, m = (uintptr_t)y->name;
    if (p != q) return p < q ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return n < m ? -1 : n > m; // empty tensors: as in the header
}

LOCUSI_FN int locusi_metadata_key_order(const void *a, const void *b)
{
    return strcmp(((const locus_metadata *)a)->key, ((const locus_metadata *)b)->key);
}

LOCUSI_FN int locusi_metadata_file_order(const void *a, const void *b)
{
    const uintptr_t x = (uintptr_t)((const locus_metadata *)a)->key, y = (uintptr_t)((const locus_metadata *)b)->key;
    return x < y ? -1 : x > y; // text was kept in the order of the file
}

// No name twice. Sorts both lists by name.
LOCUSI_FN locus_status locusi_unique_names(locus_tensor *tensors, size_t tensor_count, locus_metadata *metadata,
                                           size_t metadata_count, locus_error *err)
{
    size_t i;
    locusi_sort(tensors, tensor_count, sizeof *tensors, locusi_tensor_name_order);
    for (i = 1; i < tensor_count; i++)
        if (strcmp(tensors[i - 1].name, tensors[i].name) == 0)
            return locusi_fail(err, LOCUS_ERR_FORMAT, "%s", "one tensor of that name", "two", tensors[i].name);
    locusi_sort(metadata, metadata_count, sizeof *metadata, locusi_metadata_key_order);
    for (i = 1; i < metadata_count; i++)
        if (strcmp(metadata[i - 1].key, metadata[i].key) == 0)
            return locusi_fail(err, LOCUS_ERR_FORMAT, "%s", "one metadata entry", "two", metadata[i].key);
    return LOCUS_OK;
}

// The whole header into lists that are long enough.
LOCUSI_FN locus_status locusi_read_header(locusi_cursor *c, locus_safetensors *out, char *text,
                                          const unsigned char *data, size_t data_bytes)
{
    size_t members = 0, end = 0, i;
    int has_metadata = 0;
    locus_status status;
    locusi_expect(c, "{", "an object");
    while (locusi_more(c, "}", &members)) {
        const char *const name = locusi_json_keep(c, &text, LOCUS_ERR_FORMAT);
        locus_tensor *const t = &out->tensors[out->tensor_count];
        locusi_expect(c, ":", "':'");
        if (c->status) break;
        if (strcmp(name, "__metadata__") == 0) {
            if (has_metadata++) c->status = locusi_fail(c->err, LOCUS_ERR_FORMAT, "__metadata__", "one", "two");
            else locusi_json_metadata(c, out, &text);
        } else if (out->tensor_count == LOCUSI_MAX_LISTED) {
            c->status = locusi_fail(c->err, LOCUS_ERR_OVERFLOW, "tensors", "at most 100000", "more");
        } else {
            memset(t, 0, sizeof *t);
            t->name = name;
            locusi_json_tensor(c, t, data, data_bytes);
            out->tensor_count++;
        }
    }
    locusi_peek(c);
    if (c->at < c->length) locusi_expected(c, "white space or the end");
    if (c->status) return c->status;
    status = locusi_unique_names(out->tensors, out->tensor_count, out->metadata, out->metadata_count, c->err);
    if (status) return status;
    locusi_sort(out->metadata, out->metadata_count, sizeof *out->metadata, locusi_metadata_file_order);
    locusi_sort(out->tensors, out->tensor_count, sizeof *out->tensors, locusi_tensor_data_order);
    for (i = 0; i < out->tensor_count; i++) { // no hole, no overlap
        const locus_tensor *const t = &out->tensors[i];
        const size_t begin = (size_t)((const unsigned char *)t->data - data);
        if (begin != end)
            return locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "data to begin at %z, where the last ended", "%z",
                               t->name, end, begin);
        end += t->bytes;
    }
    if (end != data_bytes)
        return locusi_fail(c->err, LOCUS_ERR_FORMAT, "file", "%z bytes of tensors", "%z", end, data_bytes);
    return LOCUS_OK;
}

LOCUS_API locus_status locus_safetensors_parse(locus_safetensors *out, const void *data, size_t bytes,
                                               const locus_run *run, locus_error *err)
{
    const unsigned char *const file = (const unsigned char *)data;
    size_t tensors = 0, metadata = 0, i, step;
    locusi_cursor c;
    locusi_work w;
    locus_status status;
    uint64_t n;
    char *text;
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    memset(out, 0, sizeof *out);
    if (!data && bytes) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "data", "a pointer", "NULL");
    if (bytes < 8) return locusi_fail(err, LOCUS_ERR_FORMAT, "file", "at least 8 bytes", "%z", bytes);
    n = locusi_le64(file);
    if (n > LOCUSI_MAX_HEADER || n > bytes - 8 || n == 0)
        return locusi_fail(err, LOCUS_ERR_FORMAT, "length of the header", "1 to %z bytes", "%u",
                           bytes - 8 < LOCUSI_MAX_HEADER ? bytes - 8 : (size_t)LOCUSI_MAX_HEADER, n);
    memset(&c, 0, sizeof c);
    c.text = file + 8, c.length = (size_t)n, c.what = "header", c.err = err;
    for (i = 0; i < c.length; i += step) { // each tensor has a bracket and each entry a colon of its own
        if (!(step = locusi_utf8(c.text + i, c.length - i)))
            return locusi_fail(err, LOCUS_ERR_FORMAT, "header byte %z", "valid UTF-8", "other bytes", i);
        tensors += c.text[i] == '{';
        metadata += c.text[i] == ':';
    }
    if (tensors > LOCUSI_MAX_LISTED) tensors = LOCUSI_MAX_LISTED;
    if (metadata > LOCUSI_MAX_LISTED) metadata = LOCUSI_MAX_LISTED;
    locusi_work_begin(&w, run);
    out->tensors = (locus_tensor *)locusi_take(&w, tensors, sizeof *out->tensors);
    out->metadata = (locus_metadata *)locusi_take(&w, metadata, sizeof *out->metadata);
    text = (char *)locusi_take(&w, c.length, 1);
    if (!(status = locusi_work_short(&w, err)))
        status = locusi_read_header(&c, out, text, c.text + c.length, bytes - 8 - c.length);
    if (status) {
        locusi_work_end(&w);
        memset(out, 0, sizeof *out);
        return status;
    }
    out->file.data = file;
    out->file.bytes = bytes;
    out->owned = w.blocks;
    return LOCUS_OK;
}

LOCUS_API void locus_safetensors_close(locus_safetensors *st)
{
    if (!st) return;
    locusi_blocks_free((locusi_block *)st->owned);
    locusi_file_close(&st->file);
    memset(st, 0, sizeof *st);
}

LOCUS_API const locus_tensor *locus_safetensors_find(const locus_safetensors *st, const char *name)
{
    size_t i;
    for (i = 0; st && name && i < st->tensor_count; i++)
        if (strcmp(st->tensors[i].name, name) == 0) return &st->tensors[i];
    return NULL;
}

LOCUS_API const char *locus_safetensors_meta(const locus_safetensors *st, const char *key)
{
    size_t i;
    for (i = 0; st && key && i < st->metadata_count; i++)
        if (strcmp(st->metadata[i].key, key) == 0) return st->metadata[i].value;
    return NULL;
}

LOCUS_API locus_status locus_tensor_to_f32(const locus_tensor *t, size_t first, size_t count, float *out,
                                           locus_error *err)
{
    if (!t || (count && !out)) return locusi_fail(err, LOCUS_ERR_ARGUMENT, t ? "out" : "t", "a pointer", "NULL");
    if (first > t->count || count > t->count - first)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "elements up to %z", "%z from %z", t->name, t->count, count,
                           first);
    if (t->dtype != LOCUS_F32 && t->dtype != LOCUS_F16 && t->dtype != LOCUS_BF16 && t->dtype != LOCUS_F64)
        return locusi_fail(err, LOCUS_ERR_UNSUPPORTED, "%s", "F32, F16, BF16 or F64", "%s", t->name, t->dtype_name);
    if (count)
        locusi_convert(out, (const unsigned char *)t->data + first * locusi_dtype_bytes(t->dtype), count, t->dtype, 1);
    return LOCUS_OK;
}

#ifndef LOCUS_NO_STDIO
LOCUS_API locus_status locus_safetensors_open(locus_safetensors *out, const char *path, locus_error *err)
{
    locus_file file;
    locus_status status;
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    memset(out, 0, sizeof *out);
    if ((status = locusi_file_open(&file, path, err))) return status;
    if ((status = locus_safetensors_parse(out, file.data, file.bytes, NULL, err))) locusi_file_close(&file);
    else out->file = file;
    return status;
}

LOCUSI_FN void locusi_write_string(locusi_writer *w, const char *s)
{
    locusi_write_text(w, "\"");
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;
        char escape[8];
        if (c < 32) {
            memcpy(escape, "\\u00", 4);
            escape[4] = (char)('0' + (c >> 4));
            escape[5] = "0123456789abcdef"[c & 15];
            escape[6] = 0;
            locusi_write_text(w, escape);
            continue;
        }
        if (c == '"' || c == '\\') locusi_write_text(w, "\\");
        locusi_write(w, s, 1);
    }
    locusi_write_text(w, "\"");
}

LOCUSI_FN void locusi_write_size(locusi_writer *w, size_t v, const char *behind)
{
    char text[24];
    locusi_text(text, sizeof text, "%z", v);
    locusi_write_text(w, text);
    locusi_write_text(w, behind);
}

// Wide types first, so that every tensor is aligned for its type; then by name.
LOCUSI_FN int locusi_save_order(const void *a, const void *b)
{
    const unsigned p = locusi_dtype_find(((const locus_tensor *)a)->dtype_name, NULL, LOCUS_U8)->bits;
    const unsigned q = locusi_dtype_find(((const locus_tensor *)b)->dtype_name, NULL, LOCUS_U8)->bits;
    return p != q ? (p > q ? -1 : 1) : locusi_tensor_name_order(a, b);
}

LOCUSI_FN void locusi_save_header(locusi_writer *w, const locus_tensor *tensors, size_t tensor_count,
                                  const locus_metadata *metadata, size_t metadata_count)
{
    size_t i, k, at = 0;
    locusi_write_text(w, metadata_count ? "{\"__metadata__\":{" : "{");
    for (i = 0; i < metadata_count; i++) {
        locusi_write_string(w, metadata[i].key);
        locusi_write_text(w, ":");
        locusi_write_string(w, metadata[i].value);
        locusi_write_text(w, i + 1 < metadata_count ? "," : "}");
    }
    for (i = 0; i < tensor_count; i++) {
        const locus_tensor *const t = &tensors[i];
        if (i || metadata_count) locusi_write_text(w, ",");
        locusi_write_string(w, t->name);
        locusi_write_text(w, ":{\"dtype\":\"");
        locusi_write_text(w, t->dtype_name);
        locusi_write_text(w, "\",\"shape\":[");
        for (k = 0; k < t->rank; k++) locusi_write_size(w, t->shape[k], k + 1 < t->rank ? "," : "");
        locusi_write_text(w, "],\"data_offsets\":[");
        locusi_write_size(w, at, ",");
        locusi_write_size(w, at += t->bytes, "]}");
    }
    locusi_write_text(w, "}");
    while (w->bytes % 8) locusi_write_text(w, " ");
}

LOCUSI_FN locus_status locusi_save_name(const char *name, size_t i, const char *what, locus_status reserved,
                                        locus_error *err)
{
    if (!name) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s %z", "a name and what belongs to it", "NULL", what, i);
    if (strcmp(name, "__metadata__") == 0)
        return locusi_fail(err, reserved, "%s", "another name", "a reserved one", name);
    if (!locusi_utf8_valid((const unsigned char *)name, strlen(name)))
        return locusi_fail(err, LOCUS_ERR_FORMAT, "%s", "valid UTF-8", "other bytes", name);
    return LOCUS_OK;
}

// Checks and completes the tensors and puts them into the file's order; sorts `unique`, a copy of the metadata.
LOCUSI_FN locus_status locusi_save_check(locus_tensor *tensors, size_t tensor_count, locus_metadata *unique,
                                         size_t metadata_count, locus_error *err)
{
    size_t i, total = 0;
    locus_status status;
    for (i = 0; i < metadata_count; i++) {
        status = locusi_save_name(unique[i].value ? unique[i].key : NULL, i, "metadata", LOCUS_ERR_METADATA, err);
        if (status) return status;
        if (!locusi_utf8_valid((const unsigned char *)unique[i].value, strlen(unique[i].value)))
            return locusi_fail(err, LOCUS_ERR_FORMAT, "%s", "valid UTF-8", "other bytes", unique[i].key);
    }
    for (i = 0; i < tensor_count; i++) {
        locus_tensor *const t = &tensors[i];
        if ((status = locusi_save_name(t->name, i, "tensor", LOCUS_ERR_FORMAT, err))) return status;
        if ((status = locusi_tensor_size(t, err))) return status;
        if (!t->data && t->bytes) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "data", "NULL", t->name);
        if (!locusi_add(total, t->bytes, &total))
            return locusi_fail(err, LOCUS_ERR_OVERFLOW, "%s", "a total that fits the address space", "more", t->name);
    }
    if ((status = locusi_unique_names(tensors, tensor_count, unique, metadata_count, err))) return status;
    locusi_sort(tensors, tensor_count, sizeof *tensors, locusi_save_order);
    return LOCUS_OK;
}

LOCUS_API locus_status locus_safetensors_save(const char *path, const locus_tensor *tensors, size_t tensor_count,
                                              const locus_metadata *metadata, size_t metadata_count, locus_error *err)
{
    locus_tensor *sorted;
    locus_metadata *unique;
    locusi_writer file;
    locusi_work w;
    locus_status status;
    unsigned char length[8];
    size_t i;
    if (!path || (tensor_count && !tensors) || (metadata_count && !metadata))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "", "a path, tensors and metadata", "NULL");
    if (tensor_count > LOCUSI_MAX_LISTED)
        return locusi_fail(err, LOCUS_ERR_OVERFLOW, "tensors", "at most 100000", "%z", tensor_count);
    locusi_work_begin(&w, NULL);
    sorted = (locus_tensor *)locusi_take(&w, tensor_count, sizeof *sorted);
    unique = (locus_metadata *)locusi_take(&w, metadata_count, sizeof *unique);
    if (!(status = locusi_work_short(&w, err))) {
        if (tensor_count) memcpy(sorted, tensors, tensor_count * sizeof *sorted);
        if (metadata_count) memcpy(unique, metadata, metadata_count * sizeof *unique);
        status = locusi_save_check(sorted, tensor_count, unique, metadata_count, err);
    }
    memset(&file, 0, sizeof file); // without a file it only counts
    if (!status) locusi_save_header(&file, sorted, tensor_count, metadata, metadata_count);
    for (i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)file.bytes >> 8 * i & 255u);
    if (!status && (file.failed || file.bytes > LOCUSI_MAX_HEADER))
        status = locusi_fail(err, LOCUS_ERR_FORMAT, "header", "at most 100000000 bytes", "%z", file.bytes);
    if (!status && !(status = locusi_writer_open(&file, path, err))) {
        locusi_write(&file, length, 8);
        locusi_save_header(&file, sorted, tensor_count, metadata, metadata_count);
        for (i = 0; i < tensor_count; i++) locusi_write(&file, sorted[i].data, sorted[i].bytes);
        status = locusi_writer_close(&file, err);
    }
    locusi_work_end(&w);
    return status;
}
#endif // LOCUS_NO_STDIO

// ----------------------------------------------------------------------------------------------------------- >>npy
//
//     6 bytes  93 'N' 'U' 'M' 'P' 'Y';  2 bytes  version;  2 bytes (version 1) or 4 bytes (2, 3)  header length
//     header   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }  padded with spaces, '\n' at the end
//     data
//
// Stricter than numpy: exactly these keys, each once, and exactly as many bytes of data as the shape says.

// A short string in either kind of quotes.
LOCUSI_FN void locusi_npy_string(locusi_cursor *c, char *out, size_t size)
{
    const unsigned char quote = locusi_peek(c);
    size_t length = 0;
    if (quote != '\'' && quote != '"') locusi_expected(c, "a string");
    for (c->at++; !c->status && locusi_here(c) != quote; c->at++) {
        const unsigned char here = locusi_here(c);
        if (here < 32 || here > 126 || here == '\\' || length + 1 >= size) locusi_expected(c, "a short plain string");
        else out[length++] = (char)here;
    }
    c->at++;
    out[length] = 0;
}

LOCUSI_FN void locusi_npy_shape(locusi_cursor *c, locus_array *a, int suffix)
{
    int comma = 1;
    locusi_expect(c, "(", "shape as a tuple");
    while (!c->status && !locusi_accept(c, ")")) {
        if (!comma) locusi_expected(c, "',' or ')'");
        if (a->rank == 8) locusi_expected(c, "at most 8 dimensions");
        if (c->status) return;
        a->shape[a->rank++] = locusi_read_size(c, "a non-negative integer");
        if (suffix && locusi_here(c) == 'L') c->at++; // of Python 2
        comma = locusi_accept(c, ",");
    }
    if (a->rank == 1 && !comma) locusi_expected(c, "a comma in a tuple of one");
}

LOCUSI_FN locus_status locusi_npy_header(locusi_cursor *c, locus_array *a, int suffix)
{
    static const char *const keys[3] = {"descr", "fortran_order", "shape"};
    char key[16], descr[24] = "";
    int seen[3] = {0, 0, 0}, fortran = 0, comma = 1;
    const locusi_dtype *type;
    size_t i;
    locusi_expect(c, "{", "'{'");
    while (!c->status && !locusi_accept(c, "}")) {
        if (!comma) locusi_expected(c, "',' or '}'");
        locusi_npy_string(c, key, sizeof key);
        if (c->status) break;
        for (i = 0; i < 3 && strcmp(key, keys[i]) != 0; i++) {}
        if (i == 3) return locusi_fail(c->err, LOCUS_ERR_FORMAT, "header", "descr, fortran_order, shape", "%s", key);
        if (seen[i]++) return locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "one", "two", key);
        locusi_expect(c, ":", "':'");
        if (i == 0 && locusi_peek(c) == '[')
            return locusi_fail(c->err, LOCUS_ERR_UNSUPPORTED, "descr", "a plain type", "a structured one");
        if (i == 0) locusi_npy_string(c, descr, sizeof descr);
        else if (i == 2) locusi_npy_shape(c, a, suffix);
        else if (!(fortran = locusi_accept(c, "True"))) locusi_expect(c, "False", "True or False");
        comma = locusi_accept(c, ",");
    }
    locusi_peek(c);
    if (c->at < c->length) locusi_expected(c, "spaces to its end");
    if (c->status) return c->status;
    for (i = 0; i < 3; i++)
        if (!seen[i]) return locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "one", "none", keys[i]);
    if (fortran) return locusi_fail(c->err, LOCUS_ERR_UNSUPPORTED, "fortran_order", "False", "True");
    if (!(type = locusi_dtype_find(NULL, descr, LOCUS_U8)))
        return locusi_fail(c->err, LOCUS_ERR_UNSUPPORTED, "descr", "<f4 <f2 <f8 <i4 <i8 |u1 or |b1", "%s%s", descr,
                           descr[0] == '>' ? " (big-endian)" : "");
    a->dtype = type->dtype;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_npy_parse(locus_array *out, const void *data, size_t bytes, locus_error *err)
{
    const unsigned char *const file = (const unsigned char *)data;
    locusi_cursor c;
    locus_array a;
    locus_status status;
    size_t i, start, size, need;
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    memset(out, 0, sizeof *out);
    memset(&a, 0, sizeof a);
    memset(&c, 0, sizeof c);
    if (!data && bytes) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "data", "a pointer", "NULL");
    if (bytes < 6 || memcmp(file, "\x93NUMPY", 6) != 0)
        return locusi_fail(err, LOCUS_ERR_FORMAT, "file", "\\x93NUMPY at the start", "other bytes");
    if (bytes < 8 || file[6] < 1 || file[6] > 3 || file[7] != 0)
        return locusi_fail(err, LOCUS_ERR_UNSUPPORTED, "version", "1.0, 2.0 or 3.0", bytes < 8 ? "none" : "%d.%d",
                           bytes < 8 ? 0 : (int)file[6], bytes < 8 ? 0 : (int)file[7]);
    start = file[6] == 1 ? 10 : 12;
    if (bytes < start) return locusi_fail(err, LOCUS_ERR_FORMAT, "header", "its length", "the end of the file");
    c.length = file[6] == 1 ? locusi_le16(file + 8) : locusi_le32(file + 8);
    if (c.length > 1u << 20 || c.length > bytes - start)
        return locusi_fail(err, LOCUS_ERR_FORMAT, "length of the header", "at most %z bytes", "%z",
                           bytes - start < 1u << 20 ? bytes - start : (size_t)1 << 20, c.length);
    c.text = file + start, c.what = "header", c.err = err;
    for (i = 0; i < 8; i++) a.shape[i] = 1;
    if ((status = locusi_npy_header(&c, &a, file[6] < 3))) return status;
    size = locusi_dtype_bytes(a.dtype);
    if (!locusi_shape_count(a.shape, a.rank, &a.count) || !locusi_mul(a.count, size, &need))
        return locusi_fail(err, LOCUS_ERR_OVERFLOW, "shape", "a size that fits the address space", "more");
    start += c.length;
    if (need != bytes - start) return locusi_fail(err, LOCUS_ERR_FORMAT, "data", "%z bytes", "%z", need, bytes - start);
    a.data = file + start;
    if (need && size > 1 && (!locusi_host_is_little() || (uintptr_t)a.data % size)) {
        if (!(a.owned = LOCUS_MALLOC(need))) return locusi_fail(err, LOCUS_ERR_MEMORY, "", "%z bytes", "none", need);
        locusi_copy_le(a.owned, a.data, a.count, size);
        a.data = a.owned;
    }
    a.file.data = file;
    a.file.bytes = bytes;
    *out = a;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_array_to_f32(const locus_array *a, size_t first, size_t count, float *out,
                                          locus_error *err)
{
    size_t size;
    if (!a || (count && !out)) return locusi_fail(err, LOCUS_ERR_ARGUMENT, a ? "out" : "a", "a pointer", "NULL");
    if (first > a->count || count > a->count - first)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "elements", "at most %z", "%z from %z", a->count, count, first);
    if (!(size = locusi_dtype_bytes(a->dtype)))
        return locusi_fail(err, LOCUS_ERR_UNSUPPORTED, "", "a number type", "%d", (int)a->dtype);
    if (count) locusi_convert(out, (const unsigned char *)a->data + first * size, count, a->dtype, 0);
    return LOCUS_OK;
}

LOCUS_API void locus_array_close(locus_array *a)
{
    if (!a) return;
    if (a->owned) LOCUS_FREE(a->owned);
    locusi_file_close(&a->file);
    memset(a, 0, sizeof *a);
}

#ifndef LOCUS_NO_STDIO
LOCUS_API locus_status locus_npy_open(locus_array *out, const char *path, locus_error *err)
{
    locus_file file;
    locus_status status;
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    memset(out, 0, sizeof *out);
    if ((status = locusi_file_open(&file, path, err))) return status;
    if ((status = locus_npy_parse(out, file.data, file.bytes, err))) locusi_file_close(&file);
    else out->file = file;
    return status;
}

LOCUS_API locus_status locus_npy_save(const char *path, locus_dtype dtype, const size_t *shape, size_t rank,
                                      const void *data, locus_error *err)
{
    const locusi_dtype *const type = locusi_dtype_find(NULL, NULL, dtype);
    const unsigned char *p = (const unsigned char *)data;
    const size_t size = locusi_dtype_bytes(dtype);
    unsigned char chunk[1024], length[2];
    locusi_text_out o;
    locusi_writer w;
    locus_status status;
    char header[384];
    size_t i, count, bytes, n;
    if (!path || (rank && !shape)) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "", "a path and a shape", "NULL");
    if (!type || !*type->descr)
        return locusi_fail(err, LOCUS_ERR_UNSUPPORTED, "%s", "a type that .npy has", "%d", path, (int)dtype);
    if (rank > 8) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "rank 8 or less", "%z", path, rank);
    if (!locusi_shape_count(shape, rank, &count) || !locusi_mul(count, size, &bytes))
        return locusi_fail(err, LOCUS_ERR_OVERFLOW, "%s", "a shape that fits the address space", "more", path);
    if (!data && count) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "data", "NULL", path);
    locusi_text(header, sizeof header, "%s%s%s", "{'descr': '", type->descr, "', 'fortran_order': False, 'shape': (");
    o.text = header, o.used = strlen(header), o.size = sizeof header;
    for (i = 0; i < rank; i++) {
        if (i) locusi_text_put(&o, " ", 1);
        locusi_text_uint(&o, shape[i], 10, 1);
        if (i + 1 < rank || rank == 1) locusi_text_put(&o, ",", 1);
    }
    locusi_text_put(&o, "), }", 4);
    while ((10 + o.used + 1) % 64) locusi_text_put(&o, " ", 1);
    locusi_text_put(&o, "\n", 1);
    length[0] = (unsigned char)(o.used & 255u);
    length[1] = (unsigned char)(o.used >> 8);
    if ((status = locusi_writer_open(&w, path, err))) return status;
    locusi_write(&w, "\x93NUMPY\x01\x00", 8);
    locusi_write(&w, length, 2);
    locusi_write(&w, header, o.used);
    for (; count; count -= n, p += n * size) {
        n = count < sizeof chunk / size ? count : sizeof chunk / size;
        locusi_copy_le(chunk, p, n, size);
        locusi_write(&w, chunk, n * size);
    }
    return locusi_writer_close(&w, err);
}
#endif // LOCUS_NO_STDIO

// ----------------------------------------------------------------------------------------------------------- >>isa
//
// One kernel table for each instruction set that the compiler can target function by function, chosen at run time.

#if !defined(LOCUS_NO_SIMD) && (defined(__x86_64__) || defined(_M_X64)) &&                                             \
    (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 7) || defined(_MSC_VER))
#define LOCUSI_X86 1
#else
#define LOCUSI_X86 0
#endif
#if !defined(LOCUS_NO_SIMD) && (defined(__aarch64__) || defined(_M_ARM64)) && !defined(__AARCH64EB__) &&               \
    (defined(__clang__) || defined(__GNUC__) || defined(_MSC_VER))
#define LOCUSI_ARM64 1
#else
#define LOCUSI_ARM64 0
#endif

#if LOCUSI_X86
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#include <immintrin.h>
#elif LOCUSI_ARM64
#include <arm_neon.h>
#endif
#if defined(__GNUC__) || defined(__clang__)
#define LOCUSI_INLINE inline __attribute__((always_inline))
#elif defined(_MSC_VER)
#define LOCUSI_INLINE __forceinline
#else
#define LOCUSI_INLINE
#endif

#if defined(__GNUC__) || defined(__clang__)
#define LOCUSI_PREFETCH(p) __builtin_prefetch(p)
#define LOCUSI_PREFETCH_OUT(p) __builtin_prefetch(p, 1)
#else
#define LOCUSI_PREFETCH(p) ((void)(p))
#define LOCUSI_PREFETCH_OUT(p) ((void)(p))
#endif

typedef struct locusi_matmul { // c <- a x b, see >>kernels
    const float *a;
    size_t lda, step, rows, k; // a[i][p] at a + i * lda + p * step: step 1, or lda 1 for a transposed a
    const float *b;
    size_t ldb, panel, panels; // b[p][16 j ..] at b + j * panel + p * ldb: packed (16, 16 k), or row-major (ld, 16)
    float *c;
    size_t ldc;
    const float *bias, *residual;
    size_t ldr;
    int relu;
} locusi_matmul;

typedef struct locusi_adam { // see locusi_train_update
    float beta1, beta2, epsilon, clip, keep, step, root;
} locusi_adam;

typedef struct locusi_screen { // one query's side of the estimate of many models' logits, see >>screen
    size_t units, pairs;       // of the hidden layer; of the embedding's numbers
    const int16_t *weights;    // [units / 8, pairs, 8, 2]
    const float *bias, *last;  // [units]
    float start, per_size, per_slack;
} locusi_screen;

typedef struct locusi_kernels {
    void (*matmul)(const locusi_matmul *m);
#ifndef LOCUS_INFERENCE_ONLY
    void (*softmax)(float *s, size_t lds, size_t rows, size_t panels);
    int (*layernorm)(float *x, size_t ldx, size_t rows, size_t d, size_t panels, const float *gain, const float *bias,
                     const float *live, int relu);
    void (*weights)(const float *const *s, size_t at, size_t rows, size_t n, double *p, size_t ldp, float *low,
                    float *high);
    void (*widen)(const float *const *v, size_t at, size_t rows, size_t n, double scale, double *v64, size_t ld64);
    void (*accumulate)(const double *p, size_t ldp, size_t rows, size_t r, const double *v, size_t ldv, size_t width,
                       int64_t *sum, int64_t *total);
#endif
    void (*relu_dot)(const float *h, size_t ldh, size_t rows, size_t n, const float *w, float b, float *out);
    void (*scale)(const float *b, const float *u, size_t k, size_t panels, float *out);
    float (*square)(const float *x, size_t n);
    void (*kernel)(float *c, const float *half, float half_x, size_t n);
    void (*screen)(const locusi_screen *q, const int16_t *z, const float *grain, const float *size, const float *slack,
                   size_t panels, float *upper); // NULL: it would be no faster than the exact way
#ifndef LOCUS_INFERENCE_ONLY
    void (*axpy)(float factor, const float *x, float *y, size_t n);
#endif
#ifndef LOCUS_NO_EXPLORE
    int64_t (*cover)(const float *p, const float *best, const double *w, size_t n);
    size_t (*find)(const float *x, size_t from, size_t n, float limit);
#endif
#ifndef LOCUS_NO_TRAIN
    int (*layernorm_keep)(float *x, size_t ldx, size_t rows, size_t d, size_t panels, const float *gain,
                          const float *bias, const float *live, int relu, float *hat, float *inverse);
    void (*layernorm_back)(float *dy, size_t ldx, size_t rows, size_t d, size_t panels, const float *gain,
                           const float *live, const float *hat, const float *inverse, float *dgain, float *dbias);
    void (*softmax_back)(const float *a, float *da, size_t lda, size_t ldd, size_t rows, size_t panels, float scale);
    void (*softmax_down)(float *s, size_t lds, size_t rows, size_t panels);
    void (*softmax_down_back)(const float *a, float *da, size_t lda, size_t ldd, size_t rows, size_t panels,
                              const float *dot, float scale);
    void (*affine_relu)(const float *x, size_t ldx, size_t rows, size_t panels, const float *gain, const float *bias,
                        float *y);
    void (*relu_back)(float *dx, size_t ldx, const float *y, size_t ldy, size_t rows, size_t panels);
    void (*add_rows)(const float *x, size_t ldx, size_t rows, size_t panels, float *sum);
    void (*adam)(const locusi_adam *o, float *theta, const float *gradient, float *m, float *v, size_t n);
#endif
} locusi_kernels;

LOCUS_API const char *locus_isa_name(locus_isa isa)
{
    switch (isa) {
    case LOCUS_ISA_AUTO: return "auto";
    case LOCUS_ISA_SCALAR: return "scalar";
    case LOCUS_ISA_AVX2: return "avx2";
    case LOCUS_ISA_AVX512: return "avx512";
    case LOCUS_ISA_NEON: return "neon";
    default: return NULL;
    }
}

#if LOCUSI_X86
// CPUID for what the processor has, XGETBV for what the operating system saves.
LOCUSI_FN void locusi_cpuid(unsigned leaf, unsigned r[4])
{
#if defined(_MSC_VER)
    __cpuidex((int *)r, (int)leaf, 0);
#else
    __cpuid_count(leaf, 0, r[0], r[1], r[2], r[3]);
#endif
}

LOCUSI_FN unsigned locusi_xgetbv(void)
{
#if defined(_MSC_VER)
    return (unsigned)_xgetbv(0);
#else
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    (void)high;
    return low;
#endif
}
#endif

LOCUS_API int locus_isa_supported(locus_isa isa)
{
    if (isa == LOCUS_ISA_AUTO || isa == LOCUS_ISA_SCALAR) return 1;
#if LOCUSI_ARM64
    if (isa == LOCUS_ISA_NEON) return 1;
#endif
#if LOCUSI_X86
    if (isa == LOCUS_ISA_AVX2 || isa == LOCUS_ISA_AVX512) {
        unsigned r[4], saved;
        locusi_cpuid(0, r);
        if (r[0] < 7) return 0;
        locusi_cpuid(1, r);
        if ((r[2] & (1u << 27)) == 0 || (r[2] & (1u << 12)) == 0 || (r[2] & (1u << 28)) == 0)
            return 0; // OSXSAVE FMA AVX
        saved = locusi_xgetbv();
        if ((saved & 6u) != 6u) return 0;
        locusi_cpuid(7, r);
        if ((r[1] & (1u << 5)) == 0) return 0; // AVX2
        if (isa == LOCUS_ISA_AVX2) return 1;
        return (saved & 0xe6u) == 0xe6u && (r[1] & (1u << 16)) && (r[1] & (1u << 17)) && (r[1] & (1u << 30)) &&
               (r[1] & (1u << 31)); // F DQ BW VL
    }
#endif
    return 0;
}
#endif // LOCUS_IMPLEMENTATION, first part

// ------------------------------------------------------------------------------------------------------- >>kernels
//
// Written once in a small vocabulary (VF: a vector of VL floats; VD: of VDL doubles; VI: of VDL 64-bit integers) and
// compiled for each instruction set: this file includes itself with LOCUSI_KERNEL_PASS defined, see >>vocabulary.
//
// Packed matrices. A weight W [n, k] is stored for y = x W^T as panels of 16 outputs: panel p holds, for each k, the 16
// values W[16p .. 16p+15][k], zero beyond n. The layout is the same for every instruction set.
//
// Every output element is one chain of fused multiply-adds over k in ascending order, however many rows there are, so
// a row's result does not depend on the rows beside it. Nothing here calls libc.
#if defined(LOCUSI_KERNEL_PASS)

// c[i][0..2VL) <- sum_p a[i][p] * (u[p], w[p]) (+ bias) (+ residual) (then ReLU); u and w advance by 16 floats a step.
// Blocks of 1, 4 and LOCUSI_ROWS rows, two vectors wide, or one where a single panel is left (`two` is a constant).
#define LOCUSI_DECLARE(i) VF c##i = VF_SET1(0.0f), d##i = c##i;
#define LOCUSI_FETCH(i)                                                                                                \
    LOCUSI_PREFETCH_OUT(c + (size_t)(i)*ldc);                                                                          \
    if (two) LOCUSI_PREFETCH_OUT(c + (size_t)(i)*ldc + VL);
#define LOCUSI_STEP(i)                                                                                                 \
    {                                                                                                                  \
        const VF x = VF_SET1(a[(size_t)(i)*lda]);                                                                      \
        c##i = VF_FMA(x, bu, c##i);                                                                                    \
        if (two) d##i = VF_FMA(x, bw, d##i);                                                                           \
    }
#define LOCUSI_FINISH(i)                                                                                               \
    LOCUSI_NAME(finish)(c##i, c + (size_t)(i)*ldc, bias, residual ? residual + (size_t)(i)*ldr : residual, relu);      \
    if (two) LOCUSI_NAME(finish)                                                                                       \
    (d##i, c + (size_t)(i)*ldc + VL, bias ? bias + VL : bias, residual ? residual + (size_t)(i)*ldr + VL : residual,   \
     relu);
#define LOCUSI_BLOCK(name, wide, REPEAT)                                                                               \
    LOCUSI_TARGET static void LOCUSI_NAME(name)(const locusi_matmul *m, const float *a, const float *u, float *c,      \
                                                const float *bias, const float *residual)                              \
    {                                                                                                                  \
        const int two = wide;                                                                                          \
        const size_t lda = m->lda, step = m->step, ldb = m->ldb, ldc = m->ldc, ldr = m->ldr;                           \
        const float *w = two ? (VL == 16 ? u + m->panel : u + VL) : u;                                                 \
        const int relu = m->relu;                                                                                      \
        size_t p;                                                                                                      \
        REPEAT(LOCUSI_DECLARE)                                                                                         \
        if (VL >= 8) { /* where the result goes, meanwhile */                                                          \
            REPEAT(LOCUSI_FETCH)                                                                                       \
        }                                                                                                              \
        for (p = m->k; p > 0; p--) {                                                                                   \
            const VF bu = VF_LOAD(u), bw = VF_LOAD(w);                                                                 \
            REPEAT(LOCUSI_STEP)                                                                                        \
            a += step;                                                                                                 \
            u += ldb;                                                                                                  \
            w += ldb;                                                                                                  \
        }                                                                                                              \
        REPEAT(LOCUSI_FINISH)                                                                                          \
    }
#define LOCUSI_REPEAT1(F) F(0)
#define LOCUSI_REPEAT4(F) F(0) F(1) F(2) F(3)
#define LOCUSI_REPEAT6(F) F(0) F(1) F(2) F(3) F(4) F(5)
#define LOCUSI_REPEAT8(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7)
#define LOCUSI_REPEAT12(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)

LOCUSI_TARGET static LOCUSI_INLINE void LOCUSI_NAME(finish)(VF v, float *out, const float *bias, const float *residual,
                                                            int relu)
{
    if (bias) v = VF_ADD(v, VF_LOAD(bias));
    if (residual) v = VF_ADD(v, VF_LOAD(residual));
    if (relu) v = VF_MAX(v, VF_SET1(0.0f));
    VF_STORE(out, v);
}
LOCUSI_BLOCK(block_rows, 1, LOCUSI_REPEAT_ROWS)
LOCUSI_BLOCK(block_4, 1, LOCUSI_REPEAT4)
LOCUSI_BLOCK(block_1, 1, LOCUSI_REPEAT1)
LOCUSI_BLOCK(narrow_rows, 0, LOCUSI_REPEAT_ROWS)
LOCUSI_BLOCK(narrow_4, 0, LOCUSI_REPEAT4)
LOCUSI_BLOCK(narrow_1, 0, LOCUSI_REPEAT1)
#undef LOCUSI_DECLARE
#undef LOCUSI_FETCH
#undef LOCUSI_STEP
#undef LOCUSI_FINISH
#undef LOCUSI_BLOCK

// c [rows, 16 * panels] <- a [rows, k] x b (+ bias) (+ residual) (then ReLU); c overlaps none of the others, but the
// residual may be c itself: then it is added to
LOCUSI_TARGET static void LOCUSI_NAME(matmul)(const locusi_matmul *m)
{
    const size_t columns = 16 * m->panels;
    size_t j, i, width;
    for (j = 0; j < columns; j += width) {
        const int two = columns - j >= 2 * VL;
        const float *u = m->b + j / 16 * m->panel + j % 16, *bias = m->bias ? m->bias + j : NULL;
        const float *a = m->a, *res = m->residual ? m->residual + j : NULL;
        float *c = m->c + j;
        width = two ? 2 * VL : VL;
#define LOCUSI_CALL(name, count)                                                                                       \
    for (; i + (count) <= m->rows; i += (count)) {                                                                     \
        LOCUSI_NAME(name)(m, a, u, c, bias, res);                                                                      \
        a += (count)*m->lda;                                                                                           \
        c += (count)*m->ldc;                                                                                           \
        if (res) res += (count)*m->ldr;                                                                                \
    }
        i = 0;
        if (two) {
            LOCUSI_CALL(block_rows, LOCUSI_ROWS)
            LOCUSI_CALL(block_4, 4)
            LOCUSI_CALL(block_1, 1)
        } else {
            LOCUSI_CALL(narrow_rows, LOCUSI_ROWS)
            LOCUSI_CALL(narrow_4, 4)
            LOCUSI_CALL(narrow_1, 1)
        }
#undef LOCUSI_CALL
    }
}

// 2^x to about 1 ulp for x in [-126, 127]; smaller x give 2^-126.
LOCUSI_TARGET static LOCUSI_INLINE VF LOCUSI_NAME(exp2)(VF x)
{
    VF n, f, y;
    x = VF_MAX(x, VF_SET1(-126.0f));
    n = VF_ROUND(x);
    f = VF_SUB(x, n);
    y = VF_SET1(0.0001534581242594868f);
    y = VF_FMA(y, f, VF_SET1(0.0013399930903688073f));
    y = VF_FMA(y, f, VF_SET1(0.009618489071726799f));
    y = VF_FMA(y, f, VF_SET1(0.05550328642129898f));
    y = VF_FMA(y, f, VF_SET1(0.24022646248340607f));
    y = VF_FMA(y, f, VF_SET1(0.6931471824645996f));
    y = VF_FMA(y, f, VF_SET1(1.0f));
    return VF_MUL(y, VF_POW2(n));
}

#ifndef LOCUS_INFERENCE_ONLY // the encoder's
// Each row s[i][0..16 * panels) <- 2^(s - max) / sum. Columns beyond the real ones hold -1e30 and come out as nothing.
LOCUSI_TARGET static void LOCUSI_NAME(softmax)(float *s, size_t lds, size_t rows, size_t panels)
{
    const size_t n = 16 * panels;
    size_t i, j;
    for (i = 0; i < rows; i++, s += lds) {
        VF top = VF_LOAD(s), sum = VF_SET1(0.0f);
        for (j = VL; j < n; j += VL) top = VF_MAX(top, VF_LOAD(s + j));
        top = VF_SET1(VF_HMAX(top));
        for (j = 0; j < n; j += VL) {
            const VF e = LOCUSI_NAME(exp2)(VF_SUB(VF_LOAD(s + j), top));
            sum = VF_ADD(sum, e);
            VF_STORE(s + j, e);
        }
        sum = VF_SET1(1.0f / VF_HSUM(sum));
        for (j = 0; j < n; j += VL) VF_STORE(s + j, VF_MUL(VF_LOAD(s + j), sum));
    }
}

// Each row x[i] <- (x - mean) / sqrt(variance + 1e-5) * gain + bias (then ReLU) over d columns, in place; n = 16 panels
// are stored, those beyond d are 0 and stay 0 (live is 1 on the real ones). Returns 0 if a row is not finite.
LOCUSI_TARGET static int LOCUSI_NAME(layernorm)(float *x, size_t ldx, size_t rows, size_t d, size_t panels,
                                                const float *gain, const float *bias, const float *live, int relu)
{
    const size_t n = 16 * panels;
    const float scale = 1.0f / (float)d;
    int finite = 1;
    size_t i, j;
    for (i = 0; i < rows; i++, x += ldx) {
        VF sum = VF_SET1(0.0f), square = sum, mean;
        float variance;
        for (j = 0; j < n; j += VL) sum = VF_ADD(sum, VF_LOAD(x + j));
        mean = VF_SET1(VF_HSUM(sum) * scale);
        for (j = 0; j < n; j += VL) {
            const VF t = VF_MUL(VF_SUB(VF_LOAD(x + j), mean), VF_LOAD(live + j));
            square = VF_FMA(t, t, square);
        }
        variance = VF_HSUM(square) * scale;
        finite &= locusi_finite(variance);
        sum = VF_SET1(1.0f / VF_SQRT1(variance + 1e-5f));
        for (j = 0; j < n; j += VL) {
            const VF t = VF_MUL(VF_SUB(VF_LOAD(x + j), mean), sum);
            VF y = VF_FMA(t, VF_LOAD(gain + j), VF_LOAD(bias + j));
            if (relu) y = VF_MAX(y, VF_SET1(0.0f));
            VF_STORE(x + j, y);
        }
    }
    return finite;
}

// p [rows, n] <- 2^(s[i][at + j]) for the exact sums: as doubles, the last bit of the float's mantissa set; and the
// range of the exponents; n a multiple of 16
LOCUSI_TARGET static void LOCUSI_NAME(weights)(const float *const *s, size_t at, size_t rows, size_t n, double *p,
                                               size_t ldp, float *low, float *high)
{
    VF lo = VF_LOAD(s[0] + at), hi = lo;
    size_t i, j;
    for (i = 0; i < rows; i++)
        for (j = 0; j < n; j += VL) {
            const VF v = VF_LOAD(s[i] + at + j);
            if (i + 6 < rows) LOCUSI_PREFETCH(s[i + 6] + at + j);
            lo = VF_MIN(lo, v);
            hi = VF_MAX(hi, v);
            VF_STORE_D(p + i * ldp + j, VF_ODD(LOCUSI_NAME(exp2)(VF_MIN(v, VF_SET1(64.0f)))));
        }
    *low = VF_HMIN(lo);
    *high = VF_HMAX(hi);
}

// v64 [rows, n] <- scale * v[i][at + j] for the exact sums: as doubles, the last bit of the float's mantissa set
LOCUSI_TARGET static void LOCUSI_NAME(widen)(const float *const *v, size_t at, size_t rows, size_t n, double scale,
                                             double *v64, size_t ld64)
{
    const VD s = VD_SET1(scale);
    size_t i, j;
    for (i = 0; i < rows; i++)
        for (j = 0; j < n; j += VDL) VD_STORE(v64 + i * ld64 + j, VD_MUL(VD_LOAD_ODD(v[i] + at + j), s));
}

// Exact sums: sum[q][j] += round(p[i][q] * v[i][j]) over at most 128 rows i, as 64-bit integers; |p v| <= 2^44.
// An accumulator starts at 1.5 * 2^52, where a double's last bit counts 1: each multiply-add rounds its (exact) product
// to an integer and adds it without error. p and v come with odd 24-bit mantissas, so no product lies half-way between
// two integers and the rounding can't depend on the sum so far.
#define LOCUSI_DECLARE(i) VA c##i = VA_START, d##i = c##i;
#define LOCUSI_STEP(i)                                                                                                 \
    {                                                                                                                  \
        const VD x = VD_SET1(pi[i]);                                                                                   \
        c##i = VA_ADD(c##i, x, v0);                                                                                    \
        d##i = VA_ADD(d##i, x, v1);                                                                                    \
    }
#define LOCUSI_FINISH(i)                                                                                               \
    VA_FINISH(sum + (size_t)(i)*width, c##i);                                                                          \
    VA_FINISH(sum + (size_t)(i)*width + VDL, d##i);
#define LOCUSI_BLOCK(name, REPEAT)                                                                                     \
    LOCUSI_TARGET static void LOCUSI_NAME(name)(const double *p, size_t ldp, size_t rows, const double *v, size_t ldv, \
                                                int64_t *sum, size_t width)                                            \
    {                                                                                                                  \
        const double *pi = p, *end = p + rows * ldp;                                                                   \
        REPEAT(LOCUSI_DECLARE)                                                                                         \
        do {                                                                                                           \
            const VD v0 = VD_LOAD(v), v1 = VD_LOAD(v + VDL);                                                           \
            REPEAT(LOCUSI_STEP)                                                                                        \
            pi += ldp;                                                                                                 \
            v += ldv;                                                                                                  \
        } while (pi != end);                                                                                           \
        REPEAT(LOCUSI_FINISH)                                                                                          \
    }
LOCUSI_BLOCK(sum_rows, LOCUSI_REPEAT_SUMS)
LOCUSI_BLOCK(sum_4, LOCUSI_REPEAT4)
LOCUSI_BLOCK(sum_1, LOCUSI_REPEAT1)
#undef LOCUSI_DECLARE
#undef LOCUSI_STEP
#undef LOCUSI_FINISH
#undef LOCUSI_BLOCK

// sum [r, width] += p [rows, r]^T v [rows, width] and total [r] += p's sums in units of 2^-36; width a multiple of 16
LOCUSI_TARGET static void LOCUSI_NAME(accumulate)(const double *p, size_t ldp, size_t rows, size_t r, const double *v,
                                                  size_t ldv, size_t width, int64_t *sum, int64_t *total)
{
    const VD one = VD_SET1(68719476736.0); // 2^36
    size_t i, j, q;
    for (j = 0; j < width; j += 2 * VDL) {
        for (q = 0; q + LOCUSI_SUMS <= r; q += LOCUSI_SUMS)
            LOCUSI_NAME(sum_rows)(p + q, ldp, rows, v + j, ldv, sum + q * width + j, width);
        for (; q + 4 <= r; q += 4) LOCUSI_NAME(sum_4)(p + q, ldp, rows, v + j, ldv, sum + q * width + j, width);
        for (; q < r; q++) LOCUSI_NAME(sum_1)(p + q, ldp, rows, v + j, ldv, sum + q * width + j, width);
    }
    for (q = 0; q < r; q += VDL) { // p and total are padded to 16
        VA t = VA_START;
        for (i = 0; i < rows; i++) t = VA_ADD(t, VD_LOAD(p + i * ldp + q), one);
        VA_FINISH(total + q, t);
    }
}
#endif // LOCUS_INFERENCE_ONLY

// out[i] <- b + sum_j relu(h[i][j]) * w[j]; n a multiple of 16
LOCUSI_TARGET static void LOCUSI_NAME(relu_dot)(const float *h, size_t ldh, size_t rows, size_t n, const float *w,
                                                float b, float *out)
{
    size_t i, j;
    for (i = 0; i < rows; i++, h += ldh) {
        VF sum = VF_SET1(0.0f);
        for (j = 0; j < n; j += VL) // in this order of the two NaN comes through
            sum = VF_FMA(VF_MAX(VF_SET1(0.0f), VF_LOAD(h + j)), VF_LOAD(w + j), sum);
        out[i] = VF_HSUM(sum) + b;
    }
}

#if defined(VW) // vectors of VL pairs of 16-bit integers
// upper[16 * panels] <- bound on the logits of models whose embeddings are in panels of 16; panels even. A block is two
// vectors of models by LOCUSI_SUMS units of the hidden layer, which stay in registers.
LOCUSI_TARGET static void LOCUSI_NAME(screen)(const locusi_screen *q, const int16_t *z, const float *grain,
                                              const float *size, const float *slack, size_t panels, float *upper)
{
    const size_t panel = 32 * q->pairs, block = VL / 8 * panel, second = VL == 16 ? panel : 2 * VL;
    size_t m, g, p;
    for (m = 0; m < 16 * panels; m += 2 * VL) {
        const VF grain0 = VF_LOAD(grain + m), grain1 = VF_LOAD(grain + m + VL);
        VF sum0 = VF_SET1(q->start), sum1 = sum0;
        for (g = 0; g < q->units; g += LOCUSI_SUMS) {
            const int16_t *a = z + m / 16 * panel, *w = q->weights + g / 8 * 16 * q->pairs + g % 8 * 2;
#define LOCUSI_DECLARE(i) VW c##i = VW_ZERO, d##i = c##i;
#define LOCUSI_STEP(i)                                                                                                 \
    {                                                                                                                  \
        const VW x = VW_PAIR(w + 2 * (i));                                                                             \
        c##i = VW_DOT(c##i, u, x);                                                                                     \
        d##i = VW_DOT(d##i, v, x);                                                                                     \
    }
#define LOCUSI_FINISH(i)                                                                                               \
    {                                                                                                                  \
        const VF b = VF_SET1(q->bias[g + (i)]), last = VF_SET1(q->last[g + (i)]), zero = VF_SET1(0.0f);                \
        sum0 = VF_FMA(VF_MAX(VF_FMA(VW_FLOAT(c##i), grain0, b), zero), last, sum0);                                    \
        sum1 = VF_FMA(VF_MAX(VF_FMA(VW_FLOAT(d##i), grain1, b), zero), last, sum1);                                    \
    }
            LOCUSI_REPEAT_SUMS(LOCUSI_DECLARE)
            for (p = g * block / q->units; m + 2 * VL < 16 * panels && p < (g + LOCUSI_SUMS) * block / q->units;
                 p += 32)
                LOCUSI_PREFETCH(z + m / 16 * panel + block + p); // this group's share of the next block
            for (p = q->pairs; p > 0; p--, a += 32, w += 16) {
                const VW u = VW_LOAD(a), v = VW_LOAD(a + second);
                LOCUSI_REPEAT_SUMS(LOCUSI_STEP)
            }
            LOCUSI_REPEAT_SUMS(LOCUSI_FINISH)
#undef LOCUSI_DECLARE
#undef LOCUSI_STEP
#undef LOCUSI_FINISH
        }
        sum0 = VF_FMA(VF_LOAD(size + m), VF_SET1(q->per_size), sum0);
        sum1 = VF_FMA(VF_LOAD(size + m + VL), VF_SET1(q->per_size), sum1);
        VF_STORE(upper + m, VF_FMA(VF_LOAD(slack + m), VF_SET1(q->per_slack), sum0));
        VF_STORE(upper + m + VL, VF_FMA(VF_LOAD(slack + m + VL), VF_SET1(q->per_slack), sum1));
    }
}
#endif

// out <- packed b with each step k scaled by u[k]
LOCUSI_TARGET static void LOCUSI_NAME(scale)(const float *b, const float *u, size_t k, size_t panels, float *out)
{
    size_t p, i, j;
    for (p = 0; p < panels; p++)
        for (i = 0; i < k; i++, b += 16, out += 16) {
            const VF s = VF_SET1(u[i]);
            for (j = 0; j < 16; j += VL) VF_STORE(out + j, VF_MUL(VF_LOAD(b + j), s));
        }
}

// sum of squares of n floats, any n
LOCUSI_TARGET static float LOCUSI_NAME(square)(const float *x, size_t n)
{
    VF a = VF_SET1(0.0f), b = a, c = a, d = a;
    float tail = 0.0f;
    size_t i;
    for (i = 0; i + 4 * VL <= n; i += 4 * VL) {
        const VF x0 = VF_LOAD(x + i), x1 = VF_LOAD(x + i + VL), x2 = VF_LOAD(x + i + 2 * VL),
                 x3 = VF_LOAD(x + i + 3 * VL);
        a = VF_FMA(x0, x0, a);
        b = VF_FMA(x1, x1, b);
        c = VF_FMA(x2, x2, c);
        d = VF_FMA(x3, x3, d);
    }
    for (; i < n; i++) tail += x[i] * x[i];
    return VF_HSUM(VF_ADD(VF_ADD(a, b), VF_ADD(c, d))) + tail;
}

// c [n] holds x.x' -> (c + e + e^3) / 3 with e = exp(-|x - x'|^2), from half the squared lengths; n a multiple of 16
LOCUSI_TARGET static void LOCUSI_NAME(kernel)(float *c, const float *half, float half_x, size_t n)
{
    const VF own = VF_SET1(half_x), zero = VF_SET1(0.0f), third = VF_SET1(1.0f / 3.0f);
    size_t j;
    for (j = 0; j < n; j += VL) {
        const VF dot = VF_LOAD(c + j), d = VF_MAX(VF_SUB(VF_ADD(own, VF_LOAD(half + j)), dot), zero);
        const VF e = LOCUSI_NAME(exp2)(VF_MUL(d, VF_SET1(-2.8853900817779268f))); // -2 log2(e)
        VF_STORE(c + j, VF_MUL(VF_ADD(VF_ADD(dot, e), VF_MUL(e, VF_MUL(e, e))), third));
    }
}

#ifndef LOCUS_INFERENCE_ONLY
// y += factor * x over n floats, n a multiple of 16
LOCUSI_TARGET static void LOCUSI_NAME(axpy)(float factor, const float *x, float *y, size_t n)
{
    const VF s = VF_SET1(factor);
    size_t j;
    for (j = 0; j < n; j += VL) VF_STORE(y + j, VF_FMA(s, VF_LOAD(x + j), VF_LOAD(y + j)));
}
#endif

#ifndef LOCUS_NO_EXPLORE
// sum over n queries of max(p, best) * w, each product rounded to an integer: exact, the same for every instruction
// set; 0 <= p <= 1, the sum of w at most 2^50. Each product of two 24-bit mantissas is exact before it is rounded.
LOCUSI_TARGET static int64_t LOCUSI_NAME(cover)(const float *p, const float *best, const double *w, size_t n)
{
    double x[VL];
    int64_t sum[VL], total = 0;
    size_t i, j;
    for (j = 0; j < VL; j++) sum[j] = 0;
    for (i = 0; i + VL <= n; i += VL) {
        VF_STORE_D(x, VF_MAX(VF_LOAD(p + i), VF_LOAD(best + i)));
        for (j = 0; j < VL; j += VDL) VA_FINISH(sum + j, VA_ADD(VA_START, VD_LOAD(x + j), VD_LOAD(w + i + j)));
    }
    for (j = 0; j < VL; j++) total += sum[j];
    for (; i < n; i++)
        total += locusi_bits((double)(p[i] > best[i] ? p[i] : best[i]) * w[i] + LOCUSI_MAGIC) - LOCUSI_MAGIC_BITS;
    return total;
}

// Where the first 16 floats stand of which one is at most `limit`, from a multiple of 16 on; n (another) if there are
// none
LOCUSI_TARGET static size_t LOCUSI_NAME(find)(const float *x, size_t from, size_t n, float limit)
{
    while (from < n) {
        const size_t end = n - from < 128 ? n : from + 128;
        VF least = VF_LOAD(x + from);
        size_t j;
        for (j = from + VL; j < end; j += VL) least = VF_MIN(least, VF_LOAD(x + j));
        if (VF_HMIN(least) > limit) {
            from = end;
            continue;
        }
        for (; from < end; from += 16) {
            least = VF_LOAD(x + from);
            for (j = from + VL; j < from + 16; j += VL) least = VF_MIN(least, VF_LOAD(x + j));
            if (VF_HMIN(least) <= limit) return from;
        }
    }
    return n;
}
#endif

#ifndef LOCUS_NO_TRAIN
// ---- training

// As layernorm, and keeps what the way back needs: hat [rows, ldhat], the rows before gain and bias, and 1 / deviation.
LOCUSI_TARGET static int LOCUSI_NAME(layernorm_keep)(float *x, size_t ldx, size_t rows, size_t d, size_t panels,
                                                     const float *gain, const float *bias, const float *live, int relu,
                                                     float *hat, float *inverse)
{
    const size_t n = 16 * panels;
    const float scale = 1.0f / (float)d;
    int finite = 1;
    size_t i, j;
    for (i = 0; i < rows; i++, x += ldx, hat += ldx) {
        VF sum = VF_SET1(0.0f), square = sum, mean;
        float variance;
        for (j = 0; j < n; j += VL) sum = VF_ADD(sum, VF_LOAD(x + j));
        mean = VF_SET1(VF_HSUM(sum) * scale);
        for (j = 0; j < n; j += VL) {
            const VF t = VF_MUL(VF_SUB(VF_LOAD(x + j), mean), VF_LOAD(live + j));
            square = VF_FMA(t, t, square);
            VF_STORE(hat + j, t);
        }
        variance = VF_HSUM(square) * scale;
        finite &= locusi_finite(variance);
        inverse[i] = 1.0f / VF_SQRT1(variance + 1e-5f);
        sum = VF_SET1(inverse[i]);
        for (j = 0; j < n; j += VL) {
            const VF t = VF_MUL(VF_LOAD(hat + j), sum);
            VF y = VF_FMA(t, VF_LOAD(gain + j), VF_LOAD(bias + j));
            if (relu) y = VF_MAX(y, VF_SET1(0.0f));
            VF_STORE(hat + j, t);
            VF_STORE(x + j, y);
        }
    }
    return finite;
}

// layernorm_back's part that belongs to a row
LOCUSI_TARGET static void LOCUSI_NAME(layernorm_back_rows)(float *dy, size_t ldx, size_t rows, float scale, size_t n,
                                                           const float *gain, const float *live, const float *hat,
                                                           const float *inverse)
{
    size_t i, j;
    for (i = 0; i < rows; i++, dy += ldx, hat += ldx) {
        VF sum = VF_SET1(0.0f), product = sum, mean, slope, s;
        for (j = 0; j < n; j += VL) {
            const VF g = VF_MUL(VF_LOAD(dy + j), VF_LOAD(gain + j));
            sum = VF_ADD(sum, g);
            product = VF_FMA(g, VF_LOAD(hat + j), product);
        }
        mean = VF_SET1(VF_HSUM(sum) * scale);
        slope = VF_SET1(VF_HSUM(product) * scale);
        s = VF_SET1(inverse[i]);
        for (j = 0; j < n; j += VL) {
            VF g = VF_MUL(VF_LOAD(dy + j), VF_LOAD(gain + j));
            g = VF_SUB(VF_SUB(g, mean), VF_MUL(VF_LOAD(hat + j), slope));
            VF_STORE(dy + j, VF_MUL(VF_MUL(g, s), VF_LOAD(live + j)));
        }
    }
}

// dy [rows, ldx] <- gradient of the layer norm's input from that of its output: with g = dy gain,
// (g - mean(g) - hat mean(g hat)) / deviation; dgain += sum dy hat, dbias += sum dy.
LOCUSI_TARGET static void LOCUSI_NAME(layernorm_back)(float *dy, size_t ldx, size_t rows, size_t d, size_t panels,
                                                      const float *gain, const float *live, const float *hat,
                                                      const float *inverse, float *dgain, float *dbias)
{
    const size_t n = 16 * panels;
    const float scale = 1.0f / (float)d;
    size_t i, j;
    for (i = 0; i < rows; i += 16) { // few enough rows to stay in the first cache
        const size_t end = rows - i < 16 ? rows - i : 16;
        for (j = 0; j < n; j += VL) {
            VF a = VF_LOAD(dgain + j), b = VF_LOAD(dbias + j);
            size_t k;
            for (k = 0; k < end; k++) {
                const VF y = VF_LOAD(dy + (i + k) * ldx + j);
                a = VF_FMA(y, VF_LOAD(hat + (i + k) * ldx + j), a);
                b = VF_ADD(y, b);
            }
            VF_STORE(dgain + j, a);
            VF_STORE(dbias + j, b);
        }
        LOCUSI_NAME(layernorm_back_rows)(dy + i * ldx, ldx, end, scale, n, gain, live, hat + i * ldx, inverse + i);
    }
}

// ds [rows, ldd] <- scale * a (da - sum a da) in the place of da, for each row's softmax a
LOCUSI_TARGET static void LOCUSI_NAME(softmax_back)(const float *a, float *da, size_t lda, size_t ldd, size_t rows,
                                                    size_t panels, float scale)
{
    const size_t n = 16 * panels;
    size_t i, j;
    for (i = 0; i < rows; i++, a += lda, da += ldd) {
        const VF s = VF_SET1(scale);
        VF dot = VF_SET1(0.0f);
        for (j = 0; j < n; j += VL) dot = VF_FMA(VF_LOAD(a + j), VF_LOAD(da + j), dot);
        dot = VF_SET1(VF_HSUM(dot));
        for (j = 0; j < n; j += VL) VF_STORE(da + j, VF_MUL(VF_MUL(VF_LOAD(a + j), s), VF_SUB(VF_LOAD(da + j), dot)));
    }
}

// Softmax down each of the 16 * panels columns, in powers of 2.
LOCUSI_TARGET static void LOCUSI_NAME(softmax_down)(float *s, size_t lds, size_t rows, size_t panels)
{
    size_t i, j;
    for (j = 0; j < 16 * panels; j += VL) {
        VF top = VF_LOAD(s + j), sum = VF_SET1(0.0f);
        for (i = 1; i < rows; i++) top = VF_MAX(top, VF_LOAD(s + i * lds + j));
        for (i = 0; i < rows; i++) {
            const VF e = LOCUSI_NAME(exp2)(VF_SUB(VF_LOAD(s + i * lds + j), top));
            sum = VF_ADD(sum, e);
            VF_STORE(s + i * lds + j, e);
        }
        sum = VF_DIV(VF_SET1(1.0f), sum);
        for (i = 0; i < rows; i++) VF_STORE(s + i * lds + j, VF_MUL(VF_LOAD(s + i * lds + j), sum));
    }
}

// ds <- scale * a (da - dot) in the place of da; dot: sum a da of each column
LOCUSI_TARGET static void LOCUSI_NAME(softmax_down_back)(const float *a, float *da, size_t lda, size_t ldd, size_t rows,
                                                         size_t panels, const float *dot, float scale)
{
    const VF s = VF_SET1(scale);
    size_t i, j;
    for (i = 0; i < rows; i++, a += lda, da += ldd)
        for (j = 0; j < 16 * panels; j += VL)
            VF_STORE(da + j, VF_MUL(VF_MUL(VF_LOAD(a + j), s), VF_SUB(VF_LOAD(da + j), VF_LOAD(dot + j))));
}

// y <- ReLU(x gain + bias), to the bit what layernorm_keep made of x = hat
LOCUSI_TARGET static void LOCUSI_NAME(affine_relu)(const float *x, size_t ldx, size_t rows, size_t panels,
                                                   const float *gain, const float *bias, float *y)
{
    size_t i, j;
    for (i = 0; i < rows; i++, x += ldx, y += ldx)
        for (j = 0; j < 16 * panels; j += VL)
            VF_STORE(y + j, VF_MAX(VF_FMA(VF_LOAD(x + j), VF_LOAD(gain + j), VF_LOAD(bias + j)), VF_SET1(0.0f)));
}

// dx <- 0 where the ReLU's output y is 0
LOCUSI_TARGET static void LOCUSI_NAME(relu_back)(float *dx, size_t ldx, const float *y, size_t ldy, size_t rows,
                                                 size_t panels)
{
    size_t i, j;
    for (i = 0; i < rows; i++, dx += ldx, y += ldy)
        for (j = 0; j < 16 * panels; j += VL) VF_STORE(dx + j, VF_IF_POSITIVE(VF_LOAD(y + j), VF_LOAD(dx + j)));
}

// sum [16 * panels] += the rows of x
LOCUSI_TARGET static void LOCUSI_NAME(add_rows)(const float *x, size_t ldx, size_t rows, size_t panels, float *sum)
{
    size_t i, j;
    for (j = 0; j < 16 * panels; j += VL) {
        VF s = VF_LOAD(sum + j);
        for (i = 0; i < rows; i++) s = VF_ADD(s, VF_LOAD(x + i * ldx + j));
        VF_STORE(sum + j, s);
    }
}

// AdamW as PyTorch defines it (decoupled weight decay, then the step); n a multiple of 16
LOCUSI_TARGET static void LOCUSI_NAME(adam)(const locusi_adam *o, float *theta, const float *gradient, float *m,
                                            float *v, size_t n)
{
    const VF beta1 = VF_SET1(o->beta1), beta2 = VF_SET1(o->beta2), one1 = VF_SET1(1.0f - o->beta1),
             one2 = VF_SET1(1.0f - o->beta2), clip = VF_SET1(o->clip), keep = VF_SET1(o->keep), step = VF_SET1(o->step),
             root = VF_SET1(o->root), epsilon = VF_SET1(o->epsilon);
    size_t j;
    for (j = 0; j < n; j += VL) {
        const VF g = VF_MUL(VF_LOAD(gradient + j), clip);
        const VF m1 = VF_FMA(beta1, VF_LOAD(m + j), VF_MUL(one1, g));
        const VF v1 = VF_FMA(beta2, VF_LOAD(v + j), VF_MUL(VF_MUL(one2, g), g));
        const VF down = VF_ADD(VF_MUL(VF_SQRT(v1), root), epsilon);
        VF_STORE(m + j, m1);
        VF_STORE(v + j, v1);
        VF_STORE(theta + j, VF_SUB(VF_MUL(VF_LOAD(theta + j), keep), VF_DIV(VF_MUL(step, m1), down)));
    }
}
#endif // LOCUS_NO_TRAIN

static const locusi_kernels LOCUSI_NAME(kernels) = {LOCUSI_NAME(matmul),
#ifndef LOCUS_INFERENCE_ONLY
                                                    LOCUSI_NAME(softmax),
                                                    LOCUSI_NAME(layernorm),
                                                    LOCUSI_NAME(weights),
                                                    LOCUSI_NAME(widen),
                                                    LOCUSI_NAME(accumulate),
#endif
                                                    LOCUSI_NAME(relu_dot),
                                                    LOCUSI_NAME(scale),
                                                    LOCUSI_NAME(square),
                                                    LOCUSI_NAME(kernel),
#if defined(VW)
                                                    LOCUSI_NAME(screen),
#else
                                                    NULL,
#endif
#ifndef LOCUS_INFERENCE_ONLY
                                                    LOCUSI_NAME(axpy),
#endif
#ifndef LOCUS_NO_EXPLORE
                                                    LOCUSI_NAME(cover),
                                                    LOCUSI_NAME(find),
#endif
#ifndef LOCUS_NO_TRAIN
                                                    LOCUSI_NAME(layernorm_keep),
                                                    LOCUSI_NAME(layernorm_back),
                                                    LOCUSI_NAME(softmax_back),
                                                    LOCUSI_NAME(softmax_down),
                                                    LOCUSI_NAME(softmax_down_back),
                                                    LOCUSI_NAME(affine_relu),
                                                    LOCUSI_NAME(relu_back),
                                                    LOCUSI_NAME(add_rows),
                                                    LOCUSI_NAME(adam)
#endif
};

#undef LOCUSI_NAME
#undef LOCUSI_TARGET
#undef LOCUSI_ROWS
#undef LOCUSI_REPEAT_ROWS
#undef LOCUSI_SUMS
#undef LOCUSI_REPEAT_SUMS
#undef VL
#undef VDL
#undef VF
#undef VD
#undef VA
#undef VF_LOAD
#undef VF_STORE
#undef VF_STORE_D
#undef VF_SET1
#undef VF_ADD
#undef VF_SUB
#undef VF_MUL
#undef VF_FMA
#undef VF_MIN
#undef VF_MAX
#undef VF_ROUND
#undef VF_POW2
#undef VF_DIV
#undef VF_SQRT
#undef VF_IF_POSITIVE
#undef VF_SQRT1
#undef VF_HSUM
#undef VF_HMIN
#undef VF_HMAX
#undef VD_LOAD
#undef VD_LOAD_ODD
#undef VF_ODD
#undef VD_STORE
#undef VD_SET1
#undef VD_MUL
#undef VA_START
#undef VA_ADD
#undef VA_FINISH
#undef VW
#undef VW_ZERO
#undef VW_LOAD
#undef VW_PAIR
#undef VW_DOT
#undef VW_FLOAT
#endif // LOCUSI_KERNEL_PASS

#if defined(LOCUS_IMPLEMENTATION) && !defined(LOCUSI_IMPLEMENTED) && !defined(LOCUSI_KERNEL_PASS)

// ---------------------------------------------------------------------------------------------------- >>vocabulary

#define LOCUSI_KERNEL_PASS
#ifndef LOCUS_HEADER
#define LOCUS_HEADER "locus.h"
#endif

// ---- scalar: vectors of one
static LOCUSI_INLINE float locusi_pow2(float n)
{
    const uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}
#define LOCUSI_MAGIC 6755399441055744.0 // 1.5 * 2^52
#define LOCUSI_MAGIC_BITS 0x4338000000000000
static LOCUSI_INLINE float locusi_odd(float x) { return locusi_f32_from(locusi_f32_bits(x) | 1u); }
static LOCUSI_INLINE int64_t locusi_bits(double x)
{
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
// Round to nearest by adding 1.5 * 2^23; the detour through memory keeps excess precision and fast-math out.
static LOCUSI_INLINE float locusi_round(float x)
{
    volatile float y = x + 12582912.0f;
    return y - 12582912.0f;
}
#define LOCUSI_NAME(x) locusi_##x##_scalar
#define LOCUSI_TARGET
#define LOCUSI_ROWS 4
#define LOCUSI_REPEAT_ROWS LOCUSI_REPEAT4
#define LOCUSI_SUMS 4
#define LOCUSI_REPEAT_SUMS LOCUSI_REPEAT4
#define VL 1
#define VDL 1
#define VF float
#define VD double
#define VA int64_t
#define VF_LOAD(p) (*(p))
#define VF_STORE(p, v) (*(p) = (v))
#define VF_STORE_D(p, v) (*(p) = (double)(v))
#define VF_SET1(x) (x)
#define VF_ADD(a, b) ((a) + (b))
#define VF_SUB(a, b) ((a) - (b))
#define VF_MUL(a, b) ((a) * (b))
#define VF_FMA(a, b, c) ((a) * (b) + (c))
#define VF_MIN(a, b) ((a) < (b) ? (a) : (b))
#define VF_MAX(a, b) ((a) > (b) ? (a) : (b))
#define VF_ROUND(a) locusi_round(a)
#define VF_POW2(n) locusi_pow2(n)
#define VF_DIV(a, b) ((a) / (b))
#define VF_SQRT(a) sqrtf(a)
#define VF_IF_POSITIVE(y, x) ((y) > 0.0f ? (x) : 0.0f)
#define VF_SQRT1(x) sqrtf(x)
#define VF_HSUM(a) (a)
#define VF_HMIN(a) (a)
#define VF_HMAX(a) (a)
#define VD_LOAD(p) (*(p))
#define VD_LOAD_ODD(p) ((double)locusi_odd(*(p)))
#define VF_ODD(a) locusi_odd(a)
#define VD_STORE(p, v) (*(p) = (v))
#define VD_SET1(x) (x)
#define VD_MUL(a, b) ((a) * (b))
#define VA_START 0 // no fused multiply-add here: each rounded product is taken out of its bits and added as an integer
#define VA_ADD(sum, p, v) ((sum) + locusi_bits((p) * (v) + LOCUSI_MAGIC) - LOCUSI_MAGIC_BITS)
#define VA_FINISH(to, sum) (*(to) += (sum))
#include LOCUS_HEADER

#if defined(__GNUC__) && !defined(__clang__) // GCC's own AVX-512 header trips over these (its bug 105593)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion" // and at -O0, where its functions are macros
#pragma GCC diagnostic ignored "-Wconversion"
#endif
#if LOCUSI_X86
// ---- AVX2 and FMA: vectors of 8
#if defined(_MSC_VER) && !defined(__clang__)
#define LOCUSI_TARGET
#else
#define LOCUSI_TARGET __attribute__((target("avx2,fma")))
#endif
static LOCUSI_INLINE int32_t locusi_pair(const int16_t *p)
{
    int32_t both;
    memcpy(&both, p, sizeof both);
    return both;
}
LOCUSI_TARGET static LOCUSI_INLINE __m128 locusi_halves(__m256 v, int maximum, int minimum)
{
    const __m128 a = _mm256_castps256_ps128(v), b = _mm256_extractf128_ps(v, 1);
    return maximum ? _mm_max_ps(a, b) : minimum ? _mm_min_ps(a, b) : _mm_add_ps(a, b);
}
LOCUSI_TARGET static LOCUSI_INLINE float locusi_sum4(__m128 v)
{
    v = _mm_add_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)));
}
LOCUSI_TARGET static LOCUSI_INLINE float locusi_min4(__m128 v)
{
    v = _mm_min_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_min_ss(v, _mm_movehdup_ps(v)));
}
LOCUSI_TARGET static LOCUSI_INLINE float locusi_max4(__m128 v)
{
    v = _mm_max_ps(v, _mm_movehl_ps(v, v));
    return _mm_cvtss_f32(_mm_max_ss(v, _mm_movehdup_ps(v)));
}
LOCUSI_TARGET static LOCUSI_INLINE void locusi_store_d8(double *p, __m256 v)
{
    _mm256_storeu_pd(p, _mm256_cvtps_pd(_mm256_castps256_ps128(v)));
    _mm256_storeu_pd(p + 4, _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)));
}
LOCUSI_TARGET static LOCUSI_INLINE void locusi_finish4(int64_t *to, __m256d sum)
{
    const __m256i rounded = _mm256_sub_epi64(_mm256_castpd_si256(sum), _mm256_set1_epi64x(LOCUSI_MAGIC_BITS));
    __m256i *at = (__m256i *)(void *)to;
    _mm256_storeu_si256(at, _mm256_add_epi64(_mm256_loadu_si256(at), rounded));
}
#define LOCUSI_NAME(x) locusi_##x##_avx2
#define LOCUSI_ROWS 6
#define LOCUSI_REPEAT_ROWS LOCUSI_REPEAT6
#define LOCUSI_SUMS 4
#define LOCUSI_REPEAT_SUMS LOCUSI_REPEAT4
#define VL 8
#define VDL 4
#define VF __m256
#define VD __m256d
#define VF_LOAD(p) _mm256_loadu_ps(p)
#define VF_STORE(p, v) _mm256_storeu_ps(p, v)
#define VF_STORE_D(p, v) locusi_store_d8(p, v)
#define VF_SET1(x) _mm256_set1_ps(x)
#define VF_ADD(a, b) _mm256_add_ps(a, b)
#define VF_SUB(a, b) _mm256_sub_ps(a, b)
#define VF_MUL(a, b) _mm256_mul_ps(a, b)
#define VF_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define VF_MIN(a, b) _mm256_min_ps(a, b)
#define VF_MAX(a, b) _mm256_max_ps(a, b)
#define VF_ROUND(a) _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define VF_POW2(n)                                                                                                     \
    _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23))
#define VF_DIV(a, b) _mm256_div_ps(a, b)
#define VF_SQRT(a) _mm256_sqrt_ps(a)
#define VF_IF_POSITIVE(y, x) _mm256_and_ps(_mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_GT_OQ), x)
#define VF_SQRT1(x) _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)))
#define VF_HSUM(a) locusi_sum4(locusi_halves(a, 0, 0))
#define VF_HMIN(a) locusi_min4(locusi_halves(a, 0, 1))
#define VF_HMAX(a) locusi_max4(locusi_halves(a, 1, 0))
#define VD_LOAD(p) _mm256_loadu_pd(p)
#define VF_ODD(a) _mm256_or_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(1)))
#define VD_LOAD_ODD(p) _mm256_cvtps_pd(_mm_or_ps(_mm_loadu_ps(p), _mm_castsi128_ps(_mm_set1_epi32(1))))
#define VD_STORE(p, v) _mm256_storeu_pd(p, v)
#define VD_SET1(x) _mm256_set1_pd(x)
#define VD_MUL(a, b) _mm256_mul_pd(a, b)
#define VA __m256d
#define VA_START _mm256_set1_pd(LOCUSI_MAGIC)
#define VA_ADD(sum, p, v) _mm256_fmadd_pd(p, v, sum)
#define VA_FINISH(to, sum) locusi_finish4(to, sum)
#define VW __m256i
#define VW_ZERO _mm256_setzero_si256()
#define VW_LOAD(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define VW_PAIR(p) _mm256_set1_epi32(locusi_pair(p))
#define VW_DOT(sum, a, b) _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
#define VW_FLOAT(a) _mm256_cvtepi32_ps(a)
#include LOCUS_HEADER

// ---- AVX-512: vectors of 16
#if defined(_MSC_VER) && !defined(__clang__)
#define LOCUSI_TARGET
#else
#define LOCUSI_TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")))
#endif
LOCUSI_TARGET static LOCUSI_INLINE void locusi_store_d16(double *p, __m512 v)
{
    _mm512_storeu_pd(p, _mm512_cvtps_pd(_mm512_castps512_ps256(v)));
    _mm512_storeu_pd(p + 8, _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)));
}
LOCUSI_TARGET static LOCUSI_INLINE __m128 locusi_quarters(__m512 v, int maximum, int minimum)
{
    const __m256 a = _mm512_castps512_ps256(v), b = _mm512_extractf32x8_ps(v, 1);
    const __m256 h = maximum ? _mm256_max_ps(a, b) : minimum ? _mm256_min_ps(a, b) : _mm256_add_ps(a, b);
    const __m128 c = _mm256_castps256_ps128(h), d = _mm256_extractf128_ps(h, 1);
    return maximum ? _mm_max_ps(c, d) : minimum ? _mm_min_ps(c, d) : _mm_add_ps(c, d);
}
LOCUSI_TARGET static LOCUSI_INLINE float locusi_sum16(__m512 v)
{
    __m128 s = locusi_quarters(v, 0, 0);
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
LOCUSI_TARGET static LOCUSI_INLINE float locusi_min16(__m512 v)
{
    __m128 s = locusi_quarters(v, 0, 1);
    s = _mm_min_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_min_ss(s, _mm_movehdup_ps(s)));
}
LOCUSI_TARGET static LOCUSI_INLINE float locusi_max16(__m512 v)
{
    __m128 s = locusi_quarters(v, 1, 0);
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
LOCUSI_TARGET static LOCUSI_INLINE void locusi_finish8(int64_t *to, __m512d sum)
{
    const __m512i rounded = _mm512_sub_epi64(_mm512_castpd_si512(sum), _mm512_set1_epi64(LOCUSI_MAGIC_BITS));
    _mm512_storeu_si512((void *)to, _mm512_add_epi64(_mm512_loadu_si512((const void *)to), rounded));
}
#define LOCUSI_NAME(x) locusi_##x##_avx512
#define LOCUSI_ROWS 12
#define LOCUSI_REPEAT_ROWS LOCUSI_REPEAT12
#define LOCUSI_SUMS 8
#define LOCUSI_REPEAT_SUMS LOCUSI_REPEAT8
#define VL 16
#define VDL 8
#define VF __m512
#define VD __m512d
#define VF_LOAD(p) _mm512_loadu_ps(p)
#define VF_STORE(p, v) _mm512_storeu_ps(p, v)
#define VF_STORE_D(p, v) locusi_store_d16(p, v)
#define VF_SET1(x) _mm512_set1_ps(x)
#define VF_ADD(a, b) _mm512_add_ps(a, b)
#define VF_SUB(a, b) _mm512_sub_ps(a, b)
#define VF_MUL(a, b) _mm512_mul_ps(a, b)
#define VF_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define VF_MIN(a, b) _mm512_min_ps(a, b)
#define VF_MAX(a, b) _mm512_max_ps(a, b)
#define VF_ROUND(a) _mm512_roundscale_ps(a, 0)
#define VF_POW2(n)                                                                                                     \
    _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23))
#define VF_DIV(a, b) _mm512_div_ps(a, b)
#define VF_SQRT(a) _mm512_sqrt_ps(a)
#define VF_IF_POSITIVE(y, x) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_GT_OQ), x)
#define VF_SQRT1(x) _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)))
#define VF_HSUM(a) locusi_sum16(a)
#define VF_HMIN(a) locusi_min16(a)
#define VF_HMAX(a) locusi_max16(a)
#define VD_LOAD(p) _mm512_loadu_pd(p)
#define VF_ODD(a) _mm512_or_ps(a, _mm512_castsi512_ps(_mm512_set1_epi32(1)))
#define VD_LOAD_ODD(p) _mm512_cvtps_pd(_mm256_or_ps(_mm256_loadu_ps(p), _mm256_castsi256_ps(_mm256_set1_epi32(1))))
#define VD_STORE(p, v) _mm512_storeu_pd(p, v)
#define VD_SET1(x) _mm512_set1_pd(x)
#define VD_MUL(a, b) _mm512_mul_pd(a, b)
#define VA __m512d
#define VA_START _mm512_set1_pd(LOCUSI_MAGIC)
#define VA_ADD(sum, p, v) _mm512_fmadd_pd(p, v, sum)
#define VA_FINISH(to, sum) locusi_finish8(to, sum)
#define VW __m512i
#define VW_ZERO _mm512_setzero_si512()
#define VW_LOAD(p) _mm512_loadu_si512((const void *)(p))
#define VW_PAIR(p) _mm512_set1_epi32(locusi_pair(p))
#define VW_DOT(sum, a, b) _mm512_add_epi32(sum, _mm512_madd_epi16(a, b))
#define VW_FLOAT(a) _mm512_cvtepi32_ps(a)
#include LOCUS_HEADER
#endif // LOCUSI_X86
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#if LOCUSI_ARM64
// ---- NEON: vectors of 4; every AArch64 processor has it
static LOCUSI_INLINE void locusi_store_d4(double *p, float32x4_t v)
{
    vst1q_f64(p, vcvt_f64_f32(vget_low_f32(v)));
    vst1q_f64(p + 2, vcvt_high_f64_f32(v));
}
#define LOCUSI_NAME(x) locusi_##x##_neon
#define LOCUSI_TARGET
#define LOCUSI_ROWS 12
#define LOCUSI_REPEAT_ROWS LOCUSI_REPEAT12
#define LOCUSI_SUMS 8
#define LOCUSI_REPEAT_SUMS LOCUSI_REPEAT8
#define VL 4
#define VDL 2
#define VF float32x4_t
#define VD float64x2_t
#define VF_LOAD(p) vld1q_f32(p)
#define VF_STORE(p, v) vst1q_f32(p, v)
#define VF_STORE_D(p, v) locusi_store_d4(p, v)
#define VF_SET1(x) vdupq_n_f32(x)
#define VF_ADD(a, b) vaddq_f32(a, b)
#define VF_SUB(a, b) vsubq_f32(a, b)
#define VF_MUL(a, b) vmulq_f32(a, b)
#define VF_FMA(a, b, c) vfmaq_f32(c, a, b)
#define VF_MIN(a, b) vminq_f32(a, b)
#define VF_MAX(a, b) vmaxq_f32(a, b)
#define VF_ROUND(a) vrndnq_f32(a)
#define VF_POW2(n) vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23))
#define VF_DIV(a, b) vdivq_f32(a, b)
#define VF_SQRT(a) vsqrtq_f32(a)
#define VF_IF_POSITIVE(y, x) vreinterpretq_f32_u32(vandq_u32(vcgtzq_f32(y), vreinterpretq_u32_f32(x)))
#define VF_SQRT1(x) sqrtf(x)
#define VF_HSUM(a) vaddvq_f32(a)
#define VF_HMIN(a) vminvq_f32(a)
#define VF_HMAX(a) vmaxvq_f32(a)
#define VD_LOAD(p) vld1q_f64(p)
#define VF_ODD(a) vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(1)))
#define VD_LOAD_ODD(p) vcvt_f64_f32(vreinterpret_f32_u32(vorr_u32(vreinterpret_u32_f32(vld1_f32(p)), vdup_n_u32(1))))
#define VD_STORE(p, v) vst1q_f64(p, v)
#define VD_SET1(x) vdupq_n_f64(x)
#define VD_MUL(a, b) vmulq_f64(a, b)
#define VA float64x2_t
#define VA_START vdupq_n_f64(LOCUSI_MAGIC)
#define VA_ADD(sum, p, v) vfmaq_f64(sum, p, v)
#define VA_FINISH(to, sum)                                                                                             \
    vst1q_s64(to, vaddq_s64(vld1q_s64(to), vsubq_s64(vreinterpretq_s64_f64(sum), vdupq_n_s64(LOCUSI_MAGIC_BITS))))
#include LOCUS_HEADER
#endif // LOCUSI_ARM64
#undef LOCUSI_KERNEL_PASS

LOCUSI_FN const locusi_kernels *locusi_kernels_for(locus_isa isa)
{
#if LOCUSI_X86
    if (isa == LOCUS_ISA_AVX2) return &locusi_kernels_avx2;
    if (isa == LOCUS_ISA_AVX512) return &locusi_kernels_avx512;
#endif
#if LOCUSI_ARM64
    if (isa == LOCUS_ISA_NEON) return &locusi_kernels_neon;
#endif
    (void)isa;
    return &locusi_kernels_scalar;
}

// The best set for LOCUS_ISA_AUTO; an error if this machine cannot run the one asked for.
LOCUSI_FN locus_status locusi_isa_choose(locus_isa *isa, locus_error *err)
{
    size_t i;
    if (*isa == LOCUS_ISA_AUTO) {
        *isa = LOCUS_ISA_SCALAR;
        for (i = LOCUS_ISA_SCALAR; i < LOCUS_ISA_COUNT; i++)
            if (locus_isa_supported((locus_isa)i)) *isa = (locus_isa)i;
    }
    if (!locus_isa_supported(*isa)) {
        const char *name = locus_isa_name(*isa);
        return locusi_fail(err, LOCUS_ERR_ISA, "isa", "one that this machine has", "%s", name ? name : "none known");
    }
    return LOCUS_OK;
}

// ------------------------------------------------------------------------------------------------------- >>threads

#if !defined(LOCUS_NO_THREADS) && (defined(__unix__) || defined(__APPLE__))
#include <pthread.h>
#include <unistd.h>
#define LOCUSI_PTHREADS 1
#else
#define LOCUSI_PTHREADS 0
#endif

// Work items are handed out by a shared counter; where the compiler has no atomics, worker w takes w, w + workers, ...
typedef struct locusi_counter {
    size_t next, workers;
} locusi_counter;

#if defined(__GNUC__) || defined(__clang__)
#define LOCUSI_ATOMIC 1
#else
#define LOCUSI_ATOMIC 0
#endif

LOCUSI_FN size_t locusi_next(locusi_counter *counter, size_t worker, size_t *mine)
{
#if LOCUSI_ATOMIC
    (void)worker, (void)mine;
    return __atomic_fetch_add(&counter->next, (size_t)1, __ATOMIC_RELAXED);
#else
    return worker + counter->workers * (*mine)++;
#endif
}

LOCUSI_FN void locusi_set_flag(int *flag)
{
#if LOCUSI_ATOMIC
    __atomic_store_n(flag, 1, __ATOMIC_RELAXED);
#else
    *(volatile int *)flag = 1;
#endif
}

LOCUSI_FN int locusi_get_flag(const int *flag)
{
#if LOCUSI_ATOMIC
    return __atomic_load_n(flag, __ATOMIC_RELAXED);
#else
    return *(const volatile int *)flag;
#endif
}

LOCUSI_FN size_t locusi_workers(const locus_parallel *parallel)
{
    return parallel && parallel->run && parallel->threads > 1 ? parallel->threads : 1;
}

LOCUSI_FN void locusi_run(const locus_parallel *parallel, void (*task)(void *arg, size_t worker), void *arg,
                          size_t count)
{
    if (count == 1) task(arg, 0);
    else parallel->run(parallel->user, task, arg, count);
}

#ifndef LOCUS_NO_THREADS
struct locus_threads {
    locus_parallel parallel;
#if LOCUSI_PTHREADS
    pthread_mutex_t mutex;
    pthread_cond_t wake, done;
    void (*task)(void *arg, size_t index);
    void *arg;
    size_t next, count, running, generation;
    int quit;
    pthread_t *ids;
#endif
};

#if LOCUSI_PTHREADS
// Take indices until none is left; called and left with the mutex held.
LOCUSI_FN void locusi_threads_work(locus_threads *t)
{
    while (t->next < t->count) {
        const size_t index = t->next++;
        pthread_mutex_unlock(&t->mutex);
        t->task(t->arg, index);
        pthread_mutex_lock(&t->mutex);
    }
}

LOCUSI_FN void *locusi_threads_main(void *arg)
{
    locus_threads *t = (locus_threads *)arg;
    size_t seen = 0;
    pthread_mutex_lock(&t->mutex);
    while (!t->quit) {
        if (t->generation == seen) {
            pthread_cond_wait(&t->wake, &t->mutex);
            continue;
        }
        seen = t->generation;
        t->running++;
        locusi_threads_work(t);
        if (--t->running == 0) pthread_cond_signal(&t->done);
    }
    pthread_mutex_unlock(&t->mutex);
    return NULL;
}

LOCUSI_FN void locusi_threads_run(void *user, void (*task)(void *arg, size_t index), void *arg, size_t count)
{
    locus_threads *t = (locus_threads *)user;
    pthread_mutex_lock(&t->mutex);
    t->task = task;
    t->arg = arg;
    t->next = 0;
    t->count = count;
    t->generation++;
    pthread_cond_broadcast(&t->wake);
    t->running++;
    locusi_threads_work(t);
    t->running--;
    while (t->running) pthread_cond_wait(&t->done, &t->mutex);
    t->count = 0;
    pthread_mutex_unlock(&t->mutex);
}
#else
LOCUSI_FN void locusi_threads_run(void *user, void (*task)(void *arg, size_t index), void *arg, size_t count)
{
    size_t i;
    (void)user;
    for (i = 0; i < count; i++) task(arg, i);
}
#endif

LOCUS_API locus_status locus_threads_create(locus_threads **out, size_t count, locus_error *err)
{
    locus_threads *t;
    size_t bytes = sizeof(locus_threads);
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    *out = NULL;
#if LOCUSI_PTHREADS
    if (count == 0) {
        const long online = sysconf(_SC_NPROCESSORS_ONLN);
        count = online > 0 ? (size_t)online : 1;
    }
    if (count > 1024) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "count", "at most 1024 threads", "%z", count);
    bytes += count * sizeof(pthread_t);
#else
    count = 1;
#endif
    t = (locus_threads *)LOCUS_MALLOC(bytes);
    if (!t) return locusi_fail(err, LOCUS_ERR_MEMORY, "threads", "%z bytes", "none", bytes);
    memset(t, 0, bytes);
    t->parallel.threads = 1;
    t->parallel.run = locusi_threads_run;
    t->parallel.user = t;
#if LOCUSI_PTHREADS
    t->ids = (pthread_t *)(void *)(t + 1);
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->wake, NULL);
    pthread_cond_init(&t->done, NULL);
    for (; t->parallel.threads < count; t->parallel.threads++)
        if (pthread_create(&t->ids[t->parallel.threads - 1], NULL, locusi_threads_main, t)) {
            const size_t have = t->parallel.threads;
            locus_threads_destroy(t);
            return locusi_fail(err, LOCUS_ERR_MEMORY, "threads", "%z threads", "%z", count, have);
        }
#endif
    *out = t;
    return LOCUS_OK;
}

LOCUS_API const locus_parallel *locus_threads_parallel(const locus_threads *threads)
{
    return threads ? &threads->parallel : NULL;
}

LOCUS_API void locus_threads_destroy(locus_threads *threads)
{
#if LOCUSI_PTHREADS
    size_t i;
    if (!threads) return;
    pthread_mutex_lock(&threads->mutex);
    threads->quit = 1;
    pthread_cond_broadcast(&threads->wake);
    pthread_mutex_unlock(&threads->mutex);
    for (i = 1; i < threads->parallel.threads; i++) pthread_join(threads->ids[i - 1], NULL);
    pthread_cond_destroy(&threads->done);
    pthread_cond_destroy(&threads->wake);
    pthread_mutex_destroy(&threads->mutex);
#endif
    LOCUS_FREE(threads);
}
#endif // LOCUS_NO_THREADS

// ---------------------------------------------------------------------------------------------------------- >>text
//
// Exactly, so that it can be written anew in any language. ^ is exclusive or; / rounds towards zero.
//
// Characters. The text is decoded as UTF-8 (no overlong forms, no surrogates, at most U+10FFFF). A byte that begins no
// valid sequence counts as a space, alone; decoding goes on at the next byte. Classes:
//     space      U+0000-0020, 007F-00A0, 2000-200F, 2028-202F, 3000, FEFF
//     digit      0-9
//     symbol     the rest below U+00C0 that is not A-Z or a-z; U+00D7, 00F7, 2010-2BFF (less the spaces), 3001-303F,
//                1F000-1FFFF
//     ideograph  U+3040-9FFF, 20000 and above
//     letter     all others
// Case is folded by adding 32 to A-Z, U+00C0-00DE, 0391-03A9, 0410-042F, and 80 to U+0400-040F.
//
// Tokens, in order: a longest run of letters (a word); a longest run of digits; one symbol; one ideograph.
//
// Hash. Of a list of 32-bit numbers: h = CBF29CE484222325 (hex); for each number x: h = (h ^ x) * 100000001B3 mod 2^64;
// then twice h = (h ^ h >> 32) * D6E8FEB86659FD93 mod 2^64, then h = h ^ h >> 32. The key is h >> 32.
//
// Features, in this order:
//     token  of each token: 'w', then its folded characters (digits: '0' once for each, but at most four)
//     gram   after a word whose own key has no row (table-free: after each word): 'c' and the four characters of each
//            window of four in "<word>", folded
//     pair   of each token but the first: 'p', key of the token before, key of the token; after the token's own
//     features shape  at the end of the text, five: 's', letter, number; the letter and number being
//            'L' g(bytes of the text), 'D' g(digits), 'N' min(line feeds, 15),
//            'R' the largest r <= 10 with r * r * bytes <= 100 * digits, 'S' the same of symbols in place of digits (an
//            empty text: 0), g(n) = the largest k <= 60 with 2^k <= (min(n, 2^30) + 1)^2
//
// Sum. With a table: a feature whose key has no row is ignored. Each row counts once, however often it occurs:
// sum[d] += m * weight * table[row, d], m being 1, for shape features the integer square root of 1 + the number of
// other features that counted. Table-free: a feature counts if no feature before it had the same
// key mod 65536; for j in 0..3, with v the j-th 16 bits (from the low end) of the key's 64-bit hash (as above, of the
// list 'h', key): sum[(v >> 1) * dim >> 15] += m * w, or -= if v is odd; w = 4 for tokens and 1 for others.
//
// Length. If all sums are 0 the encoding is (1, 0, 0, ...). Else let x = sum, all doubled while the largest magnitude
// is below 2^26, or all halved (rounding towards zero) while it is 2^27 or more; r = the integer square root of the sum
// of the squares; encoding[d] = (|x[d]| * 2^24 + r / 2) / r with the sign of x[d], times 2^-24.
//
// Fingerprint: of the three probe texts' encodings times 2^24, dim numbers each (as 32-bit two's complement), one list:
// the hash of (dim, then these), all 64 bits.
//
// In the file: text.keys U32 [rows], text.weights U16 [rows], text.table I8 [rows, dim], metadata query_encoder
// "locus-text-1/<fingerprint>". Without the tensors that name stands for a table-free encoder of length q_dim.

enum { LOCUSI_TOKEN, LOCUSI_GRAM, LOCUSI_PAIR, LOCUSI_SHAPE };                       // features
enum { LOCUSI_SPACE, LOCUSI_DIGIT, LOCUSI_SYMBOL, LOCUSI_IDEOGRAPH, LOCUSI_LETTER }; // characters

static const uint64_t locusi_text_basis = 0xcbf29ce484222325u;

static LOCUSI_INLINE uint64_t locusi_text_feed(uint64_t h, uint32_t x) { return (h ^ x) * 0x100000001b3u; }
static LOCUSI_INLINE uint32_t locusi_text_key(uint64_t h) { return (uint32_t)(locusi_mix(h) >> 32); }

LOCUSI_FN int locusi_text_class(uint32_t c)
{
    if (c < 0x80) {
        if ((c | 32) - 'a' < 26) return LOCUSI_LETTER;
        if (c - '0' < 10) return LOCUSI_DIGIT;
        return c <= 0x20 || c == 0x7f ? LOCUSI_SPACE : LOCUSI_SYMBOL;
    }
    if (c < 0xc0) return c <= 0xa0 ? LOCUSI_SPACE : LOCUSI_SYMBOL;
    if (c < 0x2000) return c == 0xd7 || c == 0xf7 ? LOCUSI_SYMBOL : LOCUSI_LETTER;
    if (c <= 0x2bff) return c <= 0x200f || (c >= 0x2028 && c <= 0x202f) ? LOCUSI_SPACE : LOCUSI_SYMBOL;
    if (c >= 0x3000 && c <= 0x303f) return c == 0x3000 ? LOCUSI_SPACE : LOCUSI_SYMBOL;
    if ((c >= 0x3040 && c <= 0x9fff) || c >= 0x20000) return LOCUSI_IDEOGRAPH;
    if (c >= 0x1f000) return LOCUSI_SYMBOL;
    return c == 0xfeff ? LOCUSI_SPACE : LOCUSI_LETTER;
}

LOCUSI_FN uint32_t locusi_text_fold(uint32_t c)
{
    if (c < 0x80) return c - 'A' < 26 ? c + 32 : c;
    if ((c >= 0xc0 && c <= 0xde) || (c >= 0x391 && c <= 0x3a9) || (c >= 0x410 && c <= 0x42f)) return c + 32;
    return c >= 0x400 && c <= 0x40f ? c + 80 : c;
}

// *c <- the character at s, n > 0 bytes being left, or a space where none is valid; returns its bytes.
LOCUSI_FN size_t locusi_text_char(const unsigned char *s, size_t n, uint32_t *c)
{
    size_t length, i;
    *c = s[0];
    if (*c < 0x80) return 1;
    length = locusi_utf8(s, n);
    if (!length) {
        *c = ' ';
        return 1;
    }
    *c &= 0x7fu >> length;
    for (i = 1; i < length; i++) *c = *c << 6 | (s[i] & 0x3fu);
    return length;
}

typedef struct locusi_text_walk {
    const unsigned char *text;
    size_t bytes, at, begin; // begin: of the last token
    size_t digits, symbols, lines;
    int kind; // of the last token
    uint32_t key;
} locusi_text_walk;

// Next token; 0 at the end.
LOCUSI_FN int locusi_text_next(locusi_text_walk *w)
{
    uint64_t h = locusi_text_feed(locusi_text_basis, 'w');
    uint32_t c;
    size_t n, digits = 1;
    do {
        if (w->at == w->bytes) return 0;
        w->begin = w->at;
        w->at += locusi_text_char(w->text + w->at, w->bytes - w->at, &c);
        w->kind = locusi_text_class(c);
        w->lines += c == '\n';
    } while (w->kind == LOCUSI_SPACE);
    w->symbols += w->kind == LOCUSI_SYMBOL;
    h = locusi_text_feed(h, w->kind == LOCUSI_DIGIT ? '0' : locusi_text_fold(c));
    if (w->kind == LOCUSI_LETTER || w->kind == LOCUSI_DIGIT)
        for (; w->at < w->bytes; w->at += n) {
            n = locusi_text_char(w->text + w->at, w->bytes - w->at, &c);
            if (locusi_text_class(c) != w->kind) break;
            if (w->kind == LOCUSI_LETTER) h = locusi_text_feed(h, locusi_text_fold(c));
            else if (++digits <= 4) h = locusi_text_feed(h, '0');
        }
    if (w->kind == LOCUSI_DIGIT) w->digits += digits;
    w->key = locusi_text_key(h);
    return 1;
}

// g(n) and the share of n in bytes, as above.
LOCUSI_FN uint32_t locusi_text_size(size_t n)
{
    uint64_t m = n < ((size_t)1 << 30) ? n : (size_t)1 << 30;
    uint32_t k = 0;
    for (m = (m + 1) * (m + 1); m > 1 && k < 60; m >>= 1) k++;
    return k;
}

LOCUSI_FN uint32_t locusi_text_share(size_t n, size_t bytes)
{
    uint32_t r = 0;
    while (r < 10 && bytes && (uint64_t)(r + 1) * (r + 1) * bytes <= (uint64_t)n * 100) r++;
    return r;
}

// Walk over the features of a text. sink(user, key, kind) returns nonzero if it knows the feature.
LOCUSI_FN void locusi_text_features(const char *text, size_t bytes, int (*sink)(void *user, uint32_t key, int kind),
                                    void *user)
{
    locusi_text_walk w;
    uint32_t before = 0, shape[5];
    int first = 1;
    size_t i;
    memset(&w, 0, sizeof w);
    w.text = (const unsigned char *)text;
    w.bytes = bytes;
    for (; locusi_text_next(&w); before = w.key, first = 0) {
        if (!sink(user, w.key, LOCUSI_TOKEN) && w.kind == LOCUSI_LETTER) {
            uint32_t window[4] = {0, 0, 0, '<'};
            size_t at = w.begin, seen = 1;
            int end = 0;
            while (!end) {
                uint32_t c = '>';
                end = at == w.at;
                if (!end) at += locusi_text_char(w.text + at, w.at - at, &c);
                memmove(window, window + 1, sizeof window - sizeof window[0]);
                window[3] = locusi_text_fold(c);
                if (++seen >= 4) {
                    uint64_t h = locusi_text_feed(locusi_text_basis, 'c');
                    for (i = 0; i < 4; i++) h = locusi_text_feed(h, window[i]);
                    sink(user, locusi_text_key(h), LOCUSI_GRAM);
                }
            }
        }
        if (!first)
            sink(user,
                 locusi_text_key(
                     locusi_text_feed(locusi_text_feed(locusi_text_feed(locusi_text_basis, 'p'), before), w.key)),
                 LOCUSI_PAIR);
    }
    shape[0] = locusi_text_size(bytes);
    shape[1] = locusi_text_size(w.digits);
    shape[2] = (uint32_t)(w.lines < 15 ? w.lines : 15);
    shape[3] = locusi_text_share(w.digits, bytes);
    shape[4] = locusi_text_share(w.symbols, bytes);
    for (i = 0; i < 5; i++) {
        const uint64_t h = locusi_text_feed(locusi_text_feed(locusi_text_basis, 's'), (uint32_t) "LDNRS"[i]);
        sink(user, locusi_text_key(locusi_text_feed(h, shape[i])), LOCUSI_SHAPE);
    }
}

// Row of a key, or `rows`.
LOCUSI_FN size_t locusi_text_find(const uint32_t *keys, size_t rows, uint32_t key)
{
    size_t first = 0, n = rows;
    while (n > 1) { // without branches that depend on the key
        const size_t half = n / 2;
        first += keys[first + half] <= key ? half : 0;
        n -= half;
    }
    return n && keys[first] == key ? first : rows;
}

// The largest r with r * r <= n.
LOCUSI_FN uint64_t locusi_text_root(uint64_t n)
{
    uint64_t r = 0, bit = (uint64_t)1 << 62;
    while (bit > n) bit >>= 2;
    for (; bit; bit >>= 2) {
        if (n >= r + bit) {
            n -= r + bit;
            r = (r >> 1) + bit;
        } else {
            r >>= 1;
        }
    }
    return r;
}

typedef struct locusi_text_sum {
    const locus_text *encoder;
    size_t hits, pending;
    const signed char *row[128];
    int32_t weight[128];
    int64_t sum[LOCUS_TEXT_MAX_DIM];
    unsigned char seen[8192]; // a bit for each row
} locusi_text_sum;

// sum += the pending rows. 128 of at most 65535 * 128 fit 32 bits.
LOCUSI_FN void locusi_text_flush(locusi_text_sum *s)
{
    size_t d, i, j;
    for (d = 0; d < s->encoder->dim; d += 16) {
        const size_t n = s->encoder->dim - d < 16 ? s->encoder->dim - d : 16;
        int32_t sum[16] = {0};
        for (i = 0; i < s->pending; i++) {
            const signed char *row = s->row[i] + d;
            const int32_t weight = s->weight[i];
            if (n == 16)
                for (j = 0; j < 16; j++) sum[j] += weight * row[j];
            else
                for (j = 0; j < n; j++) sum[j] += weight * row[j];
        }
        for (j = 0; j < n; j++) s->sum[d + j] += sum[j];
    }
    s->pending = 0;
}

LOCUSI_FN int locusi_text_sink(void *user, uint32_t key, int kind)
{
    locusi_text_sum *s = (locusi_text_sum *)user;
    const locus_text *e = s->encoder;
    const int64_t factor = kind == LOCUSI_SHAPE ? (int64_t)locusi_text_root(s->hits + 1) : 1;
    size_t row = key & 0xffffu, i;
    if (e->rows && (row = locusi_text_find(e->keys, e->rows, key)) == e->rows) return 0;
    if (s->seen[row / 8] >> row % 8 & 1) return e->rows != 0;
    s->seen[row / 8] = (unsigned char)(s->seen[row / 8] | 1u << row % 8);
    s->hits += kind != LOCUSI_SHAPE;
    if (e->rows == 0) {
        uint64_t v = locusi_mix(locusi_text_feed(locusi_text_feed(locusi_text_basis, 'h'), key));
        const int64_t weight = kind == LOCUSI_TOKEN ? 4 : factor;
        for (i = 0; i < 4; i++, v >>= 16) s->sum[(v >> 1 & 0x7fffu) * e->dim >> 15] += v & 1 ? -weight : weight;
        return 0;
    }
    if (kind == LOCUSI_SHAPE) {
        for (i = 0; i < e->dim; i++) s->sum[i] += factor * e->weights[row] * e->table[row * e->dim + i];
        return 1;
    }
    s->row[s->pending] = e->table + row * e->dim;
    s->weight[s->pending] = e->weights[row];
    if (++s->pending == sizeof s->row / sizeof s->row[0]) locusi_text_flush(s);
    return 1;
}

// sum <- the encoding times 2^24.
LOCUSI_FN void locusi_text_unit(int64_t *sum, size_t dim)
{
    uint64_t most = 0, squares = 0, root;
    int up = 0, down = 0;
    size_t i;
    for (i = 0; i < dim; i++) {
        const uint64_t x = (uint64_t)(sum[i] < 0 ? -sum[i] : sum[i]);
        most = x > most ? x : most;
    }
    if (most == 0) {
        sum[0] = 1 << 24;
        return;
    }
    while (most << up < (uint64_t)1 << 26) up++;
    while (most >> down >= (uint64_t)1 << 27) down++;
    for (i = 0; i < dim; i++) {
        const uint64_t x = (uint64_t)(sum[i] < 0 ? -sum[i] : sum[i]) << up >> down;
        squares += x * x; // at most 2^10 of below 2^54
    }
    root = locusi_text_root(squares);
    for (i = 0; i < dim; i++) {
        const uint64_t x = (uint64_t)(sum[i] < 0 ? -sum[i] : sum[i]) << up >> down;
        const int64_t y = (int64_t)(((x << 24) + root / 2) / root);
        sum[i] = sum[i] < 0 ? -y : y;
    }
}

LOCUSI_FN void locusi_text_encode(locusi_text_sum *s, const locus_text *encoder, const char *text, size_t bytes)
{
    s->encoder = encoder;
    s->hits = s->pending = 0;
    memset(s->sum, 0, sizeof s->sum);
    memset(s->seen, 0, sizeof s->seen);
    locusi_text_features(text, bytes, locusi_text_sink, s);
    locusi_text_flush(s);
    locusi_text_unit(s->sum, encoder->dim);
}

LOCUSI_FN locus_status locusi_text_check(const locus_text *e, locus_error *err)
{
    if (!e) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "encoder", "a text encoder", "NULL");
    if (e->dim < 1 || e->dim > LOCUS_TEXT_MAX_DIM)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "encoder->dim", "1 to %z", "%z", (size_t)LOCUS_TEXT_MAX_DIM,
                           e->dim);
    if (e->rows > LOCUS_TEXT_MAX_ROWS)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "encoder->rows", "at most %z", "%z", (size_t)LOCUS_TEXT_MAX_ROWS,
                           e->rows);
    if (e->rows && (!e->keys || !e->weights || !e->table))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "encoder", "keys, weights and table", "NULL");
    return LOCUS_OK;
}

LOCUS_API locus_status locus_encode_text(const locus_text *encoder, const char *text, size_t bytes, float *out,
                                         locus_error *err)
{
    locusi_text_sum s;
    size_t i;
    const locus_status status = locusi_text_check(encoder, err);
    if (status) return status;
    if (!text && bytes) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "text", "a pointer", "NULL");
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    locusi_text_encode(&s, encoder, text, bytes);
    for (i = 0; i < encoder->dim; i++) out[i] = (float)s.sum[i] * 5.9604644775390625e-8f; // 2^-24: exact
    return LOCUS_OK;
}

LOCUS_API const char *locus_text_probe(size_t index)
{
    static const char *const texts[LOCUS_TEXT_PROBES] = {
        "What is the derivative of x^2 + 3x with respect to x?\nOptions:\n(A) 2x + 3\n(B) x + 3\n(C) 2x\n(D) 3",
        "Which of the following best describes the holding of the court in a case of negligence?",
        "Erkl\xc3\xa4re quantum \xe2\x80\x9e\xe9\x87\x8f\xe5\xad\x90\xe2\x80\x9c: 12345 \xd0\x9a\xd0\xbe\xd1\x82"};
    return index < LOCUS_TEXT_PROBES ? texts[index] : NULL;
}

LOCUSI_FN uint64_t locusi_text_fingerprint(const locus_text *encoder)
{
    uint64_t h = locusi_text_feed(locusi_text_basis, (uint32_t)encoder->dim);
    locusi_text_sum s;
    size_t i, k;
    for (k = 0; k < LOCUS_TEXT_PROBES; k++) {
        locusi_text_encode(&s, encoder, locus_text_probe(k), strlen(locus_text_probe(k)));
        for (i = 0; i < encoder->dim; i++) h = locusi_text_feed(h, (uint32_t)(uint64_t)s.sum[i]);
    }
    return locusi_mix(h);
}

#define LOCUSI_TEXT_NAME "locus-text-1/"

LOCUS_API locus_status locus_text_name(const locus_text *encoder, char name[LOCUS_TEXT_NAME_BYTES], locus_error *err)
{
    const locus_status status = locusi_text_check(encoder, err);
    if (status) return status;
    if (!name) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "name", "a pointer", "NULL");
    locusi_text(name, LOCUS_TEXT_NAME_BYTES, LOCUSI_TEXT_NAME "%x", locusi_text_fingerprint(encoder));
    return LOCUS_OK;
}

// ----------------------------------------------------------------------------------------------------------- >>net
//
// A net is one block of memory: this struct, then all weights packed for the kernels. Padded sizes (…p) are multiples
// of 16; each head's columns start at a multiple of 16 ("head layout": heads * dhp columns, zero between).

typedef struct locusi_mab {               // multihead attention block
    float *wq, *wk, *wv;                  // packed [d -> hp]
    float *fc;                            // packed [hp -> dp]
    float *gain0, *bias0, *gain1, *bias1; // [dp]
    float *w1, *b1;                       // packed [d -> fp], [fp]
    float *w2, *b2;                       // packed [2d -> dp], [dp]
    double value_bound; // |value| < this for any input the block can see; 0: depends on the encodings (layer 0)
} locusi_mab;

typedef struct locusi_layer {
    locusi_mab mab1, mab2; // sab: mab2 alone
    float *induce;         // I [r, dp]
    float *queries;        // packed per head [dh -> rp]: I W_q, times the softmax scale
} locusi_layer;

struct locus_net {
    locus_net_info info;
    const locusi_kernels *kernels;
    void *owned;
    size_t q, d, dp, heads, dh, dhp, hp, r, rp, f, fp, g, gp, layers; // f: feed-forward width 2d, g: predictor's
    float *live;                                                      // [dp] 1 on real columns, 0 beyond
    float *no_column;                                                 // [rp] 0 on real columns, -1e30 beyond
    // encoder
    float *token[2], *token_bias[2]; // packed [q -> dp] and [dp]: the token of a score of 0 and of 1
    locusi_layer *layer;
    locusi_mab pool_mab;
    float *pool_seed;      // S [dp]
    float *pool_queries;   // packed [d -> 16 * ceil(heads / 16)]: W_k^T (S W_q)^T per head, times the softmax scale
    double pool_bound;     // |x| < this for rows of the last layer
    float *out, *out_bias; // packed [d -> dp], [dp]
    double token_norm, token_bias_norm; // |token| <= |q| * token_norm + token_bias_norm (Euclidean)
    double value_norm;                  // layer 0: |value| <= |token| * value_norm
    float *scratch;                     // [max(r, 1), hp] while the net is made
    // predictor
    float *u, *u_bias;    // packed [q -> dp], [dp]
    float *hz, *hu, *hzu; // packed [d -> gp]: the three parts of mlp_head.0
    float *h_bias, *last; // [gp]
    float last_bias;
    char query_encoder[96];
    int has_text;
    locus_text text;
    uint32_t *text_keys;
    uint16_t *text_weights;
    signed char *text_table;
};

static LOCUSI_INLINE size_t locusi_pad(size_t n) { return (n + 15) / 16 * 16; }

// Place of weight (output `out`, input `in`) in packed weights [depth -> outputs]: panels of 16 outputs, see >>kernels.
static LOCUSI_INLINE size_t locusi_packed(size_t out, size_t in, size_t depth)
{
    return out / 16 * 16 * depth + 16 * in + out % 16;
}

// Carve aligned arrays out of a block; with base NULL only count. A size that overflows sets `failed`.
typedef struct locusi_carver {
    unsigned char *base;
    size_t used;
    int failed;
} locusi_carver;

LOCUSI_FN void *locusi_carve(locusi_carver *c, size_t count, size_t size)
{
    size_t bytes, used;
    void *at = c->base ? c->base + c->used : NULL;
    if (!locusi_mul(count, size, &bytes) || !locusi_add(bytes, 63, &bytes) ||
        !locusi_add(c->used, bytes / 64 * 64, &used)) {
        c->failed = 1;
        return NULL;
    }
    c->used = used;
    return at;
}

LOCUSI_FN float *locusi_carve_floats(locusi_carver *c, size_t rows, size_t columns)
{
    size_t count;
    if (!locusi_mul(rows, columns, &count)) {
        c->failed = 1;
        return NULL;
    }
    return (float *)locusi_carve(c, count, sizeof(float));
}

// First address at or behind p that is aligned to a cache line.
LOCUSI_FN unsigned char *locusi_align(void *p) { return (unsigned char *)p + (64 - (size_t)((uintptr_t)p & 63)) % 64; }

// ---- what a net file must hold

typedef struct locusi_spec { // tensor `index` of a net, in one fixed order
    char name[64];
    size_t rank, shape[3];
} locusi_spec;

enum { LOCUSI_MAB_TENSORS = 12, LOCUSI_DECODER_TENSORS = 6 };

LOCUSI_FN size_t locusi_layer_tensors(const locus_net *net)
{
    return net->info.encoder_kind == LOCUS_SAB ? LOCUSI_MAB_TENSORS : 1 + 2 * LOCUSI_MAB_TENSORS;
}

LOCUSI_FN size_t locusi_encoder_tensors(const locus_net *net) // 0: the file has no encoder
{
    return net->layers ? 2 + net->layers * locusi_layer_tensors(net) + 1 + LOCUSI_MAB_TENSORS + 2 : 0;
}

LOCUSI_FN void locusi_spec_set(locusi_spec *spec, const char *prefix, const char *name, size_t rank, size_t a, size_t b,
                               size_t c)
{
    locusi_text(spec->name, sizeof spec->name, "%s%s", prefix, name);
    spec->rank = rank;
    spec->shape[0] = a;
    spec->shape[1] = b;
    spec->shape[2] = c;
}

LOCUSI_FN void locusi_spec_mab(const locus_net *net, size_t index, const char *prefix, locusi_spec *spec)
{
    static const char *const names[LOCUSI_MAB_TENSORS] = {
        "W_q.weight", "W_k.weight", "W_v.weight",       "fc_o.weight",    "ln0.weight",       "ln0.bias",
        "ln1.weight", "ln1.bias",   "rff.net.0.weight", "rff.net.0.bias", "rff.net.2.weight", "rff.net.2.bias"};
    const size_t d = net->d, f = net->f;
    if (index < 4) locusi_spec_set(spec, prefix, names[index], 2, d, d, 0);
    else if (index == 8) locusi_spec_set(spec, prefix, names[index], 2, f, d, 0);
    else if (index == 10) locusi_spec_set(spec, prefix, names[index], 2, d, f, 0);
    else locusi_spec_set(spec, prefix, names[index], 1, index == 9 ? f : d, 0, 0);
}

LOCUSI_FN void locusi_spec_encoder(const locus_net *net, size_t index, locusi_spec *spec)
{
    const size_t each = locusi_layer_tensors(net), d = net->d;
    char prefix[48];
    if (index == 0) locusi_spec_set(spec, "", "encoder.input.0.weight", 2, d, 2 * net->q + 1, 0);
    else if (index == 1) locusi_spec_set(spec, "", "encoder.input.0.bias", 1, d, 0, 0);
    else if ((index -= 2) < net->layers * each) {
        const size_t layer = index / each;
        index %= each;
        if (net->info.encoder_kind == LOCUS_SAB) {
            locusi_text(prefix, sizeof prefix, "encoder.layers.%z.mab.", layer);
            locusi_spec_mab(net, index, prefix, spec);
        } else if (index == 0) {
            locusi_text(prefix, sizeof prefix, "encoder.layers.%z.", layer);
            locusi_spec_set(spec, prefix, "I", 3, 1, net->r, d);
        } else {
            index--;
            locusi_text(prefix, sizeof prefix, "encoder.layers.%z.mab%z.", layer, 1 + index / LOCUSI_MAB_TENSORS);
            locusi_spec_mab(net, index % LOCUSI_MAB_TENSORS, prefix, spec);
        }
    } else if ((index -= net->layers * each) == 0) locusi_spec_set(spec, "", "encoder.pma.S", 3, 1, 1, d);
    else if (index <= LOCUSI_MAB_TENSORS) locusi_spec_mab(net, index - 1, "encoder.pma.mab.", spec);
    else if (index == LOCUSI_MAB_TENSORS + 1) locusi_spec_set(spec, "", "encoder.out.0.weight", 2, d, d, 0);
    else locusi_spec_set(spec, "", "encoder.out.0.bias", 1, d, 0, 0);
}

LOCUSI_FN void locusi_spec_decoder(const locus_net *net, size_t index, const char *last, locusi_spec *spec)
{
    const size_t d = net->d, g = net->g;
    switch (index) {
    case 0: locusi_spec_set(spec, "", "decoder.U.weight", 2, d, net->q, 0); break;
    case 1: locusi_spec_set(spec, "", "decoder.U.bias", 1, d, 0, 0); break;
    case 2: locusi_spec_set(spec, "", "decoder.mlp_head.0.weight", 2, g, 3 * d, 0); break;
    case 3: locusi_spec_set(spec, "", "decoder.mlp_head.0.bias", 1, g, 0, 0); break;
    case 4: locusi_spec_set(spec, last, ".weight", 2, 1, g, 0); break;
    default: locusi_spec_set(spec, last, ".bias", 1, 1, 0, 0); break;
    }
}

// "decoder.mlp_head.3" where the net was trained with dropout, else "decoder.mlp_head.2"
LOCUSI_FN const char *locusi_last_name(const locus_safetensors *st)
{
    return locus_safetensors_find(st, "decoder.mlp_head.3.weight") ? "decoder.mlp_head.3" : "decoder.mlp_head.2";
}

// Tensor i of all: the encoder's, then the predictor's.
LOCUSI_FN void locusi_spec_at(const locus_net *net, size_t i, const char *last, locusi_spec *spec)
{
    if (i < locusi_encoder_tensors(net)) locusi_spec_encoder(net, i, spec);
    else locusi_spec_decoder(net, i - locusi_encoder_tensors(net), last, spec);
}

LOCUSI_FN int locusi_starts(const char *s, const char *prefix) { return strncmp(s, prefix, strlen(prefix)) == 0; }

// Tensors that a net's file may have beside the net's weights.
LOCUSI_FN int locusi_no_weight(const char *name)
{
    return locusi_starts(name, "pool.") || locusi_starts(name, "memory.") || locusi_starts(name, "text.");
}

// A hyper-parameter: from the metadata where given (and then it must be a number from 1 to `most`), else `found`.
LOCUSI_FN locus_status locusi_hyper(const locus_safetensors *st, const char *key, size_t found, size_t most,
                                    size_t *value, locus_error *err)
{
    const char *text = locus_safetensors_meta(st, key), *s = text;
    size_t v = 0;
    if (!text) {
        if (!found) return locusi_fail(err, LOCUS_ERR_METADATA, "%s", "a number in the metadata", "no entry", key);
        *value = found;
        return LOCUS_OK;
    }
    for (; *s >= '0' && *s <= '9' && v <= most; s++) v = v * 10 + (size_t)(*s - '0');
    if (*s || s == text || v < 1 || v > most)
        return locusi_fail(err, LOCUS_ERR_METADATA, "%s", "a number from 1 to %z", "\"%s\"", key, most, text);
    if (found && v != found)
        return locusi_fail(err, LOCUS_ERR_METADATA, "%s", "%z as in the tensors", "%z", key, found, v);
    *value = v;
    return LOCUS_OK;
}

LOCUSI_FN size_t locusi_dim(const locus_safetensors *st, const char *name, size_t rank, size_t axis)
{
    const locus_tensor *t = locus_safetensors_find(st, name);
    return t && t->rank == rank ? t->shape[axis] : 0;
}

LOCUSI_FN locus_status locusi_check_tensor(const locus_safetensors *st, const locusi_spec *spec,
                                           const locus_tensor **out, locus_error *err)
{
    const locus_tensor *t = locus_safetensors_find(st, spec->name);
    size_t i;
    if (!t) return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "this tensor", "none", spec->name);
    for (i = 0; i < spec->rank; i++)
        if (t->rank != spec->rank || t->shape[i] != spec->shape[i]) {
            char want[64], have[64];
            locusi_shape_text(want, sizeof want, spec->rank, spec->shape);
            locusi_shape_text(have, sizeof have, t->rank, t->shape);
            return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "%s", "%s", spec->name, want, have);
        }
    if (t->dtype != LOCUS_F32 && t->dtype != LOCUS_F16 && t->dtype != LOCUS_BF16)
        return locusi_fail(err, LOCUS_ERR_UNSUPPORTED, "%s", "F32, F16 or BF16", "%s", spec->name, t->dtype_name);
    *out = t;
    return LOCUS_OK;
}

// The name of the query encoder, and its tables if it is a text encoder (see >>text).
LOCUSI_FN locus_status locusi_text_sizes(locus_net *net, const locus_safetensors *st, locus_error *err)
{
    static const char *const names[3] = {"text.keys", "text.weights", "text.table"};
    static const char *const types[3] = {"U32", "U16", "I8"};
    const char *name = locus_safetensors_meta(st, "query_encoder");
    size_t i, k, shape[2], dim;
    locus_status status;
    if (locus_safetensors_meta(st, "query_encoder_dim") &&
        (status = locusi_hyper(st, "query_encoder_dim", net->q, net->q, &dim, err)))
        return status;
    if (name && strlen(name) >= sizeof net->query_encoder)
        return locusi_fail(err, LOCUS_ERR_METADATA, "query_encoder", "at most %z bytes", "%z",
                           sizeof net->query_encoder - 1, strlen(name));
    if (name) memcpy(net->query_encoder, name, strlen(name) + 1);
    net->has_text = locusi_starts(net->query_encoder, LOCUSI_TEXT_NAME);
    for (i = 0; i < st->tensor_count; i++) {
        const char *tensor = st->tensors[i].name;
        if (!locusi_starts(tensor, "text.")) continue;
        for (k = 0; k < 3 && strcmp(tensor, names[k]); k++) {}
        if (k == 3) return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "no such tensor", "this", tensor);
        if (!net->has_text)
            return locusi_fail(err, LOCUS_ERR_METADATA, "query_encoder",
                               "\"" LOCUSI_TEXT_NAME "...\", as there are text.* tensors", "\"%s\"",
                               net->query_encoder);
        net->text.rows = 1;
    }
    if (!net->has_text) return LOCUS_OK;
    net->text.dim = net->q;
    if (net->q > LOCUS_TEXT_MAX_DIM)
        return locusi_fail(err, LOCUS_ERR_METADATA, "q_dim", "at most %z with a text encoder", "%z",
                           (size_t)LOCUS_TEXT_MAX_DIM, net->q);
    if (!net->text.rows) return LOCUS_OK; // table-free
    shape[0] = locusi_dim(st, "text.keys", 1, 0);
    shape[1] = net->q;
    if (locus_safetensors_find(st, "text.keys") && (shape[0] < 1 || shape[0] > LOCUS_TEXT_MAX_ROWS))
        return locusi_fail(err, LOCUS_ERR_TENSOR, "text.keys", "[1] to [%z]", "[%z] or another rank",
                           (size_t)LOCUS_TEXT_MAX_ROWS, shape[0]);
    for (k = 0; k < 3; k++) {
        const locus_tensor *t = locus_safetensors_find(st, names[k]);
        const size_t rank = k == 2 ? 2 : 1;
        if (!t) return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "this tensor", "none", names[k]);
        if (strcmp(t->dtype_name, types[k]))
            return locusi_fail(err, LOCUS_ERR_UNSUPPORTED, "%s", "%s", "%s", names[k], types[k], t->dtype_name);
        if (t->rank != rank || t->shape[0] != shape[0] || (rank == 2 && t->shape[1] != shape[1])) {
            char want[64], have[64];
            locusi_shape_text(want, sizeof want, rank, shape);
            locusi_shape_text(have, sizeof have, t->rank, t->shape);
            return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "%s", "%s", names[k], want, have);
        }
    }
    net->text.rows = shape[0];
    return LOCUS_OK;
}

// Copy the tables, and prove that they are those of the name.
LOCUSI_FN locus_status locusi_text_load(locus_net *net, const locus_safetensors *st, locus_error *err)
{
    char name[LOCUS_TEXT_NAME_BYTES];
    size_t i;
    if (!net->has_text) return LOCUS_OK;
    if (net->text.rows) {
        const size_t rows = net->text.rows;
        locusi_copy_le(net->text_keys, locus_safetensors_find(st, "text.keys")->data, rows, 4);
        locusi_copy_le(net->text_weights, locus_safetensors_find(st, "text.weights")->data, rows, 2);
        memcpy(net->text_table, locus_safetensors_find(st, "text.table")->data, rows * net->q);
        for (i = 1; i < rows; i++)
            if (net->text_keys[i - 1] >= net->text_keys[i])
                return locusi_fail(err, LOCUS_ERR_FORMAT, "text.keys[%z]", "more than %u, the one before", "%u", i,
                                   (uint64_t)net->text_keys[i - 1], (uint64_t)net->text_keys[i]);
        net->text.keys = net->text_keys;
        net->text.weights = net->text_weights;
        net->text.table = net->text_table;
    }
    locus_text_name(&net->text, name, NULL);
    if (strcmp(name, net->query_encoder))
        return locusi_fail(err, LOCUS_ERR_MISMATCH, "query_encoder", "\"%s\", as the text encoder gives it", "\"%s\"",
                           name, net->query_encoder);
    return LOCUS_OK;
}

// Sizes, from metadata and shapes; then every tensor is checked and no other may be there.
LOCUSI_FN locus_status locusi_net_sizes(locus_net *net, const locus_safetensors *st, int predictor_only,
                                        locus_error *err)
{
    const size_t most = 1u << 20;
    size_t i, j, weights = 0, encoder = 0, layers = 0, expected;
    const char *kind = locus_safetensors_meta(st, "encoder_kind"), *last = locusi_last_name(st);
    const locus_tensor *t;
    locusi_spec spec;
    locus_status status;
    for (i = 0; i < st->tensor_count; i++) {
        const char *name = st->tensors[i].name;
        weights += !locusi_no_weight(name);
        if (locusi_starts(name, "encoder.")) {
            size_t layer = 0;
            encoder++;
            if (locusi_starts(name, "encoder.layers.")) {
                const char *s = name + 15;
                for (; *s >= '0' && *s <= '9' && layer <= most; s++) layer = layer * 10 + (size_t)(*s - '0');
                if (layer < most && layer + 1 > layers) layers = layer + 1;
            }
        } else if (!locusi_starts(name, "decoder.") && !locusi_no_weight(name))
            return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "encoder, decoder, text, pool or memory", "this", name);
    }
    memset(net, 0, sizeof *net);
    if (!locus_safetensors_find(st, "decoder.U.weight"))
        return locusi_fail(err, LOCUS_ERR_TENSOR, "decoder.U.weight", "this tensor", "none");
    if ((status = locusi_hyper(st, "q_dim", locusi_dim(st, "decoder.U.weight", 2, 1), most, &net->q, err)) ||
        (status = locusi_hyper(st, "z_dim", locusi_dim(st, "decoder.U.weight", 2, 0), most, &net->d, err)) ||
        (status =
             locusi_hyper(st, "decoder_hidden", locusi_dim(st, "decoder.mlp_head.0.weight", 2, 0), most, &net->g, err)))
        return status;
    net->f = 2 * net->d;
    net->heads = net->dh = 1;
    net->info.has_encoder = encoder > 0;
    if (encoder) {
        if (kind && strcmp(kind, "isab") && strcmp(kind, "sab"))
            return locusi_fail(err, LOCUS_ERR_METADATA, "encoder_kind", "isab or sab", "\"%s\"", kind);
        if (kind ? !strcmp(kind, "sab") : !locus_safetensors_find(st, "encoder.layers.0.I"))
            net->info.encoder_kind = LOCUS_SAB;
        if ((status = locusi_hyper(st, "n_heads", 0, most, &net->heads, err)) ||
            (status = locusi_hyper(st, "n_layers", locus_safetensors_meta(st, "n_layers") ? 0 : layers, 64,
                                   &net->layers, err)))
            return status;
        if (net->info.encoder_kind == LOCUS_ISAB &&
            (status = locusi_hyper(st, "m_induce", locusi_dim(st, "encoder.layers.0.I", 3, 1), most, &net->r, err)))
            return status;
        if (net->d % net->heads)
            return locusi_fail(err, LOCUS_ERR_METADATA, "n_heads", "a divisor of z_dim = %z", "%z", net->d, net->heads);
        net->dh = net->d / net->heads;
    }
    expected = locusi_encoder_tensors(net) + LOCUSI_DECODER_TENSORS;
    for (i = 0; i < expected; i++) {
        locusi_spec_at(net, i, last, &spec);
        if ((status = locusi_check_tensor(st, &spec, &t, err))) return status;
    }
    for (j = 0; weights > expected && j < st->tensor_count; j++) { // name the first that no place asks for
        int known = locusi_no_weight(st->tensors[j].name);
        for (i = 0; !known && i < expected; i++) {
            locusi_spec_at(net, i, last, &spec);
            known = !strcmp(spec.name, st->tensors[j].name);
        }
        if (!known) return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "no such tensor", "this", st->tensors[j].name);
    }
    if (predictor_only) net->info.has_encoder = 0;
    if (locus_safetensors_meta(st, "memory_weight")) {
        if ((status = locusi_hyper(st, "memory_weight", 0, 100, &i, err))) return status;
        net->info.recall_weight = (double)i / 100.0;
    }
    return locusi_text_sizes(net, st, err);
}

// ---- hash: 64 bits of every weight's float32 value, in the fixed order, so that file layout and dtype do not matter
//
// Four lanes; each takes a 64-bit word (two floats, the first low): lane = rotl(lane ^ word, 29) * odd constant. Words
// go to lanes in turn. A tensor's lanes are folded into the hash with its number of weights.

static LOCUSI_INLINE uint64_t locusi_two_floats(const float *x)
{
    uint32_t low, high;
    memcpy(&low, x, sizeof low);
    memcpy(&high, x + 1, sizeof high);
    return (uint64_t)low | (uint64_t)high << 32;
}

static LOCUSI_INLINE uint64_t locusi_hash_word(uint64_t x) { return (x << 29 | x >> 35) * 0x9e3779b97f4a7c15u; }

LOCUSI_FN locus_status locusi_hash_tensor(const locus_tensor *t, uint64_t *hash, locus_error *err)
{
    const uint64_t magnitude = 0x7fffffff7fffffffu, limit = 0x2c8000002c800000u; // carries into a sign from 2^40 on
    uint64_t lane0 = 1, lane1 = 2, lane2 = 3, lane3 = 4, absurd = 0;
    float chunk[1024];
    size_t at, i, n;
    for (at = 0; at < t->count; at += n) {
        n = t->count - at < 1024 ? t->count - at : 1024;
        if (locus_tensor_to_f32(t, at, n, chunk, err)) return err ? err->status : LOCUS_ERR_FORMAT;
        for (i = n; i % 8; i++) chunk[i] = 0.0f;
        for (i = 0; i < n; i += 8) {
            const uint64_t w0 = locusi_two_floats(chunk + i), w1 = locusi_two_floats(chunk + i + 2),
                           w2 = locusi_two_floats(chunk + i + 4), w3 = locusi_two_floats(chunk + i + 6);
            absurd |= ((w0 & magnitude) + limit) | ((w1 & magnitude) + limit) | ((w2 & magnitude) + limit) |
                      ((w3 & magnitude) + limit);
            lane0 = locusi_hash_word(lane0 ^ w0);
            lane1 = locusi_hash_word(lane1 ^ w1);
            lane2 = locusi_hash_word(lane2 ^ w2);
            lane3 = locusi_hash_word(lane3 ^ w3);
        }
        if (absurd & ~magnitude) {
            for (i = 0; (locusi_f32_bits(chunk[i]) & 0x7fffffffu) < 0x53800000u; i++) {}
            return locusi_fail(err, LOCUS_ERR_NONFINITE_WEIGHT, "%s[%z]", "a magnitude below 2^40", "%f", t->name,
                               at + i, (double)chunk[i]);
        }
    }
    *hash = locusi_mix(locusi_mix(*hash ^ t->count) ^ lane0);
    *hash = locusi_mix(locusi_mix(*hash ^ lane1) ^ lane2);
    *hash = locusi_mix(*hash ^ lane3);
    return LOCUS_OK;
}

// Parse 16 hex digits; 0 if text is anything else.
LOCUSI_FN int locusi_parse_hash(const char *text, uint64_t *hash)
{
    size_t i;
    *hash = 0;
    for (i = 0; i < 16; i++) {
        const char c = text[i];
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) return 0;
        *hash = *hash << 4 | (uint64_t)digit;
    }
    return text[16] == 0;
}

// The net's hash is made of the two parts' hashes, so that a file with the predictor alone can still prove whose it is.
LOCUSI_FN locus_status locusi_net_hash(locus_net *net, const locus_safetensors *st, locus_error *err)
{
    const size_t in_encoder = locusi_encoder_tensors(net);
    uint64_t encoder = 1, decoder = 2, stored;
    const char *text = locus_safetensors_meta(st, "locus.encoder_hash"), *last = locusi_last_name(st);
    locus_status status;
    locusi_spec spec;
    size_t i;
    net->info.parameters = 0;
    for (i = 0; i < in_encoder + LOCUSI_DECODER_TENSORS; i++) {
        const locus_tensor *t;
        locusi_spec_at(net, i, last, &spec);
        t = locus_safetensors_find(st, spec.name);
        if ((status = locusi_hash_tensor(t, i < in_encoder ? &encoder : &decoder, err))) return status;
        if (i >= in_encoder || net->info.has_encoder) net->info.parameters += t->count;
    }
    if (in_encoder) encoder = locusi_mix(encoder ^ (net->heads << 1 | (net->info.encoder_kind == LOCUS_SAB)));
    if (text) {
        if (!locusi_parse_hash(text, &stored))
            return locusi_fail(err, LOCUS_ERR_METADATA, "locus.encoder_hash", "16 hex digits", "\"%s\"", text);
        if (!in_encoder) encoder = stored;
        else if (stored != encoder)
            return locusi_fail(err, LOCUS_ERR_HASH, "locus.encoder_hash", "%x", "%x", encoder, stored);
    }
    net->info.encoder_hash = encoder;
    net->info.hash = locusi_mix(encoder ^ locusi_mix(decoder));
    text = locus_safetensors_meta(st, "locus.net_hash");
    if (text) {
        if (!locusi_parse_hash(text, &stored))
            return locusi_fail(err, LOCUS_ERR_METADATA, "locus.net_hash", "16 hex digits", "\"%s\"", text);
        if (stored != net->info.hash)
            return locusi_fail(err, LOCUS_ERR_HASH, "locus.net_hash", "%x", "%x", net->info.hash, stored);
    }
    return LOCUS_OK;
}

// ---- packing

// Where output n of a weight goes, and where input k comes in: plain, or in head layout.
LOCUSI_FN size_t locusi_head_column(const locus_net *net, size_t c) { return c / net->dh * net->dhp + c % net->dh; }

// out (zeroed) <- columns [first, first + k) of t [n, ld], packed; heads_out: outputs in head layout, heads_in: inputs.
LOCUSI_FN void locusi_pack(const locus_net *net, const locus_tensor *t, size_t n, size_t ld, size_t first, size_t k,
                           int heads_out, int heads_in, float *out)
{
    const size_t depth = heads_in ? net->hp : k;
    float chunk[16][64];
    size_t row, at, i, j, count;
    for (row = 0; row < n; row += 16)
        for (at = 0; at < k; at += count) {
            const size_t rows = n - row < 16 ? n - row : 16;
            count = k - at < 64 ? k - at : 64;
            for (j = 0; j < rows; j++) locus_tensor_to_f32(t, (row + j) * ld + first + at, count, chunk[j], NULL);
            if (!heads_out && !heads_in && rows == 16) { // the common case, as plain loops
                float *to = out + row * depth + at * 16;
                for (i = 0; i < count; i++)
                    for (j = 0; j < 16; j++) to[i * 16 + j] = chunk[j][i];
                continue;
            }
            for (j = 0; j < rows; j++) {
                const size_t column = heads_out ? locusi_head_column(net, row + j) : row + j;
                float *to = out + (column / 16) * 16 * depth + column % 16;
                for (i = 0; i < count; i++)
                    to[16 * (heads_in ? locusi_head_column(net, at + i) : at + i)] = chunk[j][i];
            }
        }
}

LOCUSI_FN void locusi_vector(const locus_tensor *t, float *out) { locus_tensor_to_f32(t, 0, t->count, out, NULL); }

#ifndef LOCUS_INFERENCE_ONLY
LOCUSI_FN void locusi_mab_carve(locus_net *net, locusi_mab *m, locusi_carver *c)
{
    m->wq = locusi_carve_floats(c, net->d, net->hp);
    m->wk = locusi_carve_floats(c, net->d, net->hp);
    m->wv = locusi_carve_floats(c, net->d, net->hp);
    m->fc = locusi_carve_floats(c, net->hp, net->dp);
    m->gain0 = locusi_carve_floats(c, net->dp, 1);
    m->bias0 = locusi_carve_floats(c, net->dp, 1);
    m->gain1 = locusi_carve_floats(c, net->dp, 1);
    m->bias1 = locusi_carve_floats(c, net->dp, 1);
    m->w1 = locusi_carve_floats(c, net->d, net->fp);
    m->b1 = locusi_carve_floats(c, net->fp, 1);
    m->w2 = locusi_carve_floats(c, net->f, net->dp);
    m->b2 = locusi_carve_floats(c, net->dp, 1);
}

LOCUSI_FN void locusi_mab_load(const locus_net *net, const locus_safetensors *st, const char *prefix, locusi_mab *m)
{
    const size_t d = net->d, f = net->f;
    const locus_tensor *t[LOCUSI_MAB_TENSORS];
    locusi_spec spec;
    size_t i;
    for (i = 0; i < LOCUSI_MAB_TENSORS; i++) {
        locusi_spec_mab(net, i, prefix, &spec);
        t[i] = locus_safetensors_find(st, spec.name);
    }
    locusi_pack(net, t[0], d, d, 0, d, net->dhp != net->dh, 0, m->wq);
    locusi_pack(net, t[1], d, d, 0, d, net->dhp != net->dh, 0, m->wk);
    locusi_pack(net, t[2], d, d, 0, d, net->dhp != net->dh, 0, m->wv);
    locusi_pack(net, t[3], d, d, 0, d, 0, net->dhp != net->dh, m->fc);
    locusi_vector(t[4], m->gain0);
    locusi_vector(t[5], m->bias0);
    locusi_vector(t[6], m->gain1);
    locusi_vector(t[7], m->bias1);
    locusi_pack(net, t[8], f, d, 0, d, 0, 0, m->w1);
    locusi_vector(t[9], m->b1);
    locusi_pack(net, t[10], d, f, 0, f, 0, 0, m->w2);
    locusi_vector(t[11], m->b2);
}

LOCUSI_FN void locusi_encoder_carve(locus_net *net, locusi_carver *c)
{
    size_t l;
    net->no_column = locusi_carve_floats(c, net->rp, 1);
    net->layer = (locusi_layer *)locusi_carve(c, net->layers, sizeof(locusi_layer));
    for (l = 0; l < 2; l++) {
        net->token[l] = locusi_carve_floats(c, net->q, net->dp);
        net->token_bias[l] = locusi_carve_floats(c, net->dp, 1);
    }
    for (l = 0; l < net->layers; l++) {
        locusi_layer scratch, *layer = c->base ? &net->layer[l] : &scratch;
        memset(layer, 0, sizeof *layer);
        if (net->info.encoder_kind == LOCUS_ISAB) {
            locusi_mab_carve(net, &layer->mab1, c);
            layer->induce = locusi_carve_floats(c, net->r, net->dp);
            layer->queries = locusi_carve_floats(c, net->heads * net->dh, net->rp);
        }
        locusi_mab_carve(net, &layer->mab2, c);
    }
    locusi_mab_carve(net, &net->pool_mab, c);
    net->pool_seed = locusi_carve_floats(c, net->dp, 1);
    net->pool_queries = locusi_carve_floats(c, net->d, locusi_pad(net->heads));
    net->out = locusi_carve_floats(c, net->d, net->dp);
    net->out_bias = locusi_carve_floats(c, net->dp, 1);
    net->scratch = locusi_carve_floats(c, net->r ? net->r : 1, net->hp);
}
#endif

// All arrays of the net; called once to count and once to place them.
LOCUSI_FN void locusi_net_carve(locus_net *net, locusi_carver *c)
{
    net->dp = locusi_pad(net->d);
    net->dhp = locusi_pad(net->dh);
    net->hp = net->heads * net->dhp;
    net->rp = locusi_pad(net->r);
    net->fp = locusi_pad(net->f);
    net->gp = locusi_pad(net->g);
    net->live = locusi_carve_floats(c, net->dp, 1);
    net->u = locusi_carve_floats(c, net->q, net->dp);
    net->u_bias = locusi_carve_floats(c, net->dp, 1);
    net->hz = locusi_carve_floats(c, net->d, net->gp);
    net->hu = locusi_carve_floats(c, net->d, net->gp);
    net->hzu = locusi_carve_floats(c, net->d, net->gp);
    net->h_bias = locusi_carve_floats(c, net->gp, 1);
    net->last = locusi_carve_floats(c, net->gp, 1);
    if (net->text.rows) {
        net->text_keys = (uint32_t *)locusi_carve(c, net->text.rows, sizeof(uint32_t));
        net->text_weights = (uint16_t *)locusi_carve(c, net->text.rows, sizeof(uint16_t));
        net->text_table = (signed char *)locusi_carve(c, net->text.rows, net->q);
    }
#ifndef LOCUS_INFERENCE_ONLY
    if (net->info.has_encoder) locusi_encoder_carve(net, c);
#endif
}

#ifndef LOCUS_INFERENCE_ONLY
// Largest |output| of packed W (columns outputs) over all x that the layer norm (gain, bias) can give: x = gain * n +
// bias with |n| <= sqrt(d), so |w x| <= sqrt(d) |w * gain| + |w bias|. W NULL: of x itself.
LOCUSI_FN double locusi_norm_bound(const locus_net *net, const float *packed, size_t columns, const float *gain,
                                   const float *bias)
{
    double most = 0.0;
    size_t c, i;
    for (c = 0; c < columns; c++) {
        double square = 0.0, shift = 0.0, bound;
        if (packed) {
            const float *w = packed + (c / 16) * 16 * net->d + c % 16;
            for (i = 0; i < net->d; i++) {
                const double wg = (double)w[16 * i] * (double)gain[i];
                square += wg * wg;
                shift += (double)w[16 * i] * (double)bias[i];
            }
        } else {
            square = (double)gain[c] * (double)gain[c];
            shift = (double)bias[c];
        }
        bound = sqrt((double)net->d * square) + fabs(shift);
        if (bound > most) most = bound;
    }
    return most * 1.001 + 1e-30; // float rounding of the values themselves
}
#endif

LOCUSI_FN void locusi_matmul_run(const locusi_kernels *k, const float *a, size_t lda, size_t rows, size_t depth,
                                 const float *b, size_t columns, float *c, size_t ldc, const float *bias,
                                 const float *residual, size_t ldr, int relu)
{
    locusi_matmul m;
    m.a = a;
    m.lda = lda;
    m.step = 1;
    m.rows = rows;
    m.k = depth;
    m.b = b;
    m.ldb = 16;
    m.panel = 16 * depth;
    m.panels = columns / 16;
    m.c = c;
    m.ldc = ldc;
    m.bias = bias;
    m.residual = residual;
    m.ldr = ldr;
    m.relu = relu;
    k->matmul(&m);
}

// c [rows, columns] (+)= a b, any strides: see locusi_matmul
LOCUSI_FN void locusi_product(const locusi_kernels *k, const float *a, size_t lda, size_t step, size_t rows,
                              size_t depth, const float *b, size_t ldb, size_t panel, size_t columns, float *c,
                              size_t ldc, int add)
{
    locusi_matmul m;
    m.a = a, m.lda = lda, m.step = step, m.rows = rows, m.k = depth;
    m.b = b, m.ldb = ldb, m.panel = panel, m.panels = columns / 16;
    m.c = c, m.ldc = ldc, m.bias = NULL, m.residual = add ? c : NULL, m.ldr = ldc, m.relu = 0;
    k->matmul(&m);
}

#ifndef LOCUS_INFERENCE_ONLY
// rows [n, heads * dhp] -> columns first .. first + n of `columns`, for each head packed [dh -> padded columns], times
// scale: keys or queries as the right-hand side
LOCUSI_FN void locusi_pack_heads(const locus_net *net, const float *rows, size_t first, size_t n, size_t columns,
                                 float scale, float *out)
{
    size_t h, i, c;
    for (h = 0; h < net->heads; h++, out += net->dh * locusi_pad(columns))
        for (i = 0; i < n; i++)
            for (c = 0; c < net->dh; c++)
                out[(first + i) / 16 * 16 * net->dh + 16 * c + (first + i) % 16] =
                    scale * rows[i * net->hp + h * net->dhp + c];
}

LOCUSI_FN float locusi_softmax_scale(const locus_net *net) // log2(e): the softmax works in powers of 2
{
    return (float)(1.4426950408889634 / sqrt((double)net->dh));
}

// What depends on the weights alone is computed once: projected inducing vectors, the pooling query's keys, bounds.
LOCUSI_FN void locusi_net_prepare(locus_net *net)
{
    const locusi_kernels *k = net->kernels;
    const locusi_mab *first = net->info.encoder_kind == LOCUS_ISAB ? &net->layer[0].mab1 : &net->layer[0].mab2;
    const locusi_mab *last = &net->layer[net->layers - 1].mab2;
    const float scale = locusi_softmax_scale(net);
    size_t l, h, i, c;
    for (l = 0; l < net->layers; l++) {
        locusi_layer *layer = &net->layer[l];
        locusi_mab *mab = net->info.encoder_kind == LOCUS_ISAB ? &layer->mab1 : &layer->mab2;
        if (l) {
            const locusi_mab *before = &net->layer[l - 1].mab2;
            mab->value_bound = locusi_norm_bound(net, mab->wv, net->hp, before->gain1, before->bias1);
        }
        if (net->info.encoder_kind == LOCUS_SAB) continue;
        locusi_matmul_run(k, layer->induce, net->dp, net->r, net->d, mab->wq, net->hp, net->scratch, net->hp, NULL,
                          NULL, 0, 0);
        locusi_pack_heads(net, net->scratch, 0, net->r, net->r, scale, layer->queries);
    }
    locusi_matmul_run(k, net->pool_seed, net->dp, 1, net->d, net->pool_mab.wq, net->hp, net->scratch, net->hp, NULL,
                      NULL, 0, 0);
    for (h = 0; h < net->heads; h++)
        for (i = 0; i < net->d; i++) {
            double sum = 0.0;
            for (c = h * net->dhp; c < h * net->dhp + net->dh; c++)
                sum += (double)net->pool_mab.wk[(c / 16) * 16 * net->d + 16 * i + c % 16] * (double)net->scratch[c];
            net->pool_queries[(h / 16) * 16 * net->d + 16 * i + h % 16] = (float)((double)scale * sum);
        }
    net->pool_bound = locusi_norm_bound(net, NULL, net->d, last->gain1, last->bias1);
    for (i = 0; i < 2; i++) {
        const double weight = sqrt((double)k->square(net->token[i], net->q * net->dp));
        const double bias = sqrt((double)k->square(net->token_bias[i], net->dp));
        if (weight > net->token_norm) net->token_norm = weight;
        if (bias > net->token_bias_norm) net->token_bias_norm = bias;
    }
    for (c = 0; c < net->hp; c++) {
        const float *w = first->wv + (c / 16) * 16 * net->d + c % 16;
        double sum = 0.0;
        for (i = 0; i < net->d; i++) sum += (double)w[16 * i] * (double)w[16 * i];
        if (sqrt(sum) > net->value_norm) net->value_norm = sqrt(sum);
    }
}

// The token of score y is (1-y) T0 + y T1: T0 = (A - C) q + b and T1 = (A + C) q + b + w with the token map's columns
// A (for q), w (for y) and C (for q (2y-1)). Both maps replace the original.
LOCUSI_FN void locusi_token_load(locus_net *net, const locus_safetensors *st)
{
    const locus_tensor *t = locus_safetensors_find(st, "encoder.input.0.weight");
    const size_t n = net->q * net->dp;
    size_t i;
    locusi_pack(net, t, net->d, 2 * net->q + 1, 0, net->q, 0, 0, net->token[0]);
    locusi_pack(net, t, net->d, 2 * net->q + 1, net->q + 1, net->q, 0, 0, net->token[1]);
    for (i = 0; i < n; i++) {
        const float a = net->token[0][i], c = net->token[1][i];
        net->token[0][i] = a - c;
        net->token[1][i] = a + c;
    }
    locusi_vector(locus_safetensors_find(st, "encoder.input.0.bias"), net->token_bias[0]);
    for (i = 0; i < net->d; i++) {
        float w = 0.0f;
        locus_tensor_to_f32(t, i * (2 * net->q + 1) + net->q, 1, &w, NULL);
        net->token_bias[1][i] = net->token_bias[0][i] + w;
    }
}

LOCUSI_FN void locusi_encoder_load(locus_net *net, const locus_safetensors *st)
{
    const locus_tensor *t;
    size_t l, i;
    for (i = net->r; i < net->rp; i++) net->no_column[i] = -1e30f;
    locusi_token_load(net, st);
    for (l = 0; l < net->layers; l++) {
        locusi_layer *layer = &net->layer[l];
        char prefix[48];
        if (net->info.encoder_kind == LOCUS_SAB) {
            locusi_text(prefix, sizeof prefix, "encoder.layers.%z.mab.", l);
            locusi_mab_load(net, st, prefix, &layer->mab2);
            continue;
        }
        locusi_text(prefix, sizeof prefix, "encoder.layers.%z.I", l);
        t = locus_safetensors_find(st, prefix);
        for (i = 0; i < net->r; i++) locus_tensor_to_f32(t, i * net->d, net->d, layer->induce + i * net->dp, NULL);
        locusi_text(prefix, sizeof prefix, "encoder.layers.%z.mab1.", l);
        locusi_mab_load(net, st, prefix, &layer->mab1);
        locusi_text(prefix, sizeof prefix, "encoder.layers.%z.mab2.", l);
        locusi_mab_load(net, st, prefix, &layer->mab2);
    }
    locusi_vector(locus_safetensors_find(st, "encoder.pma.S"), net->pool_seed);
    locusi_mab_load(net, st, "encoder.pma.mab.", &net->pool_mab);
    locusi_pack(net, locus_safetensors_find(st, "encoder.out.0.weight"), net->d, net->d, 0, net->d, 0, 0, net->out);
    locusi_vector(locus_safetensors_find(st, "encoder.out.0.bias"), net->out_bias);
}
#endif

LOCUSI_FN void locusi_net_load(locus_net *net, const locus_safetensors *st)
{
    const locus_tensor *t = locus_safetensors_find(st, "decoder.mlp_head.0.weight");
    const char *last = locusi_last_name(st);
    char name[64];
    size_t i;
    for (i = 0; i < net->d; i++) net->live[i] = 1.0f;
    locusi_pack(net, locus_safetensors_find(st, "decoder.U.weight"), net->d, net->q, 0, net->q, 0, 0, net->u);
    locusi_vector(locus_safetensors_find(st, "decoder.U.bias"), net->u_bias);
    locusi_pack(net, t, net->g, 3 * net->d, 0, net->d, 0, 0, net->hz);
    locusi_pack(net, t, net->g, 3 * net->d, net->d, net->d, 0, 0, net->hu);
    locusi_pack(net, t, net->g, 3 * net->d, 2 * net->d, net->d, 0, 0, net->hzu);
    locusi_vector(locus_safetensors_find(st, "decoder.mlp_head.0.bias"), net->h_bias);
    locusi_text(name, sizeof name, "%s.weight", last);
    locusi_vector(locus_safetensors_find(st, name), net->last);
    locusi_text(name, sizeof name, "%s.bias", last);
    locusi_vector(locus_safetensors_find(st, name), &net->last_bias);
#ifndef LOCUS_INFERENCE_ONLY
    if (net->info.has_encoder) locusi_encoder_load(net, st);
#endif
}

// Bytes of the block: this struct, then the arrays.
LOCUSI_FN locus_status locusi_net_plan(locus_net *net, const locus_safetensors *st, const locus_net_opts *opts,
                                       size_t *bytes, locus_error *err)
{
    locusi_carver c = {NULL, 0, 0};
#ifdef LOCUS_INFERENCE_ONLY
    const int predictor_only = 1;
#else
    const int predictor_only = opts && opts->predictor_only;
#endif
    const locus_status status = locusi_net_sizes(net, st, predictor_only, err);
    (void)opts;
    if (status) return status;
    locusi_carve(&c, 1, sizeof(locus_net));
    locusi_net_carve(net, &c);
    if (c.failed || !locusi_add(c.used, 64, bytes))
        return locusi_fail(err, LOCUS_ERR_OVERFLOW, "net", "a size that fits the address space", "more");
    return LOCUS_OK;
}

LOCUS_API size_t locus_net_memory(const locus_safetensors *st, const locus_net_opts *opts)
{
    locus_net net;
    size_t bytes = 0;
    return st && !locusi_net_plan(&net, st, opts, &bytes, NULL) ? bytes : 0;
}

LOCUS_API locus_status locus_net_create(locus_net **out, const locus_safetensors *st, const locus_net_opts *opts,
                                        locus_error *err)
{
    locus_net plan, *net;
    locusi_carver c = {NULL, 0, 0};
    locus_isa isa = opts ? opts->isa : LOCUS_ISA_AUTO;
    size_t bytes = 0;
    void *owned = NULL;
    locus_status status;
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    *out = NULL;
    if (!st) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "st", "a parsed file", "NULL");
    if ((status = locusi_isa_choose(&isa, err))) return status;
    if ((status = locusi_net_plan(&plan, st, opts, &bytes, err))) return status;
    plan.info.isa = isa;
    plan.info.bytes = bytes;
    if ((status = locusi_net_hash(&plan, st, err))) return status;
    if (opts && opts->memory) {
        if (opts->memory_bytes < bytes)
            return locusi_fail(err, LOCUS_ERR_MEMORY, "opts->memory", "%z bytes", "%z", bytes, opts->memory_bytes);
        c.base = locusi_align(opts->memory);
    } else {
        owned = LOCUS_MALLOC(bytes);
        if (!owned) return locusi_fail(err, LOCUS_ERR_MEMORY, "net", "%z bytes", "none", bytes);
        c.base = locusi_align(owned);
    }
    memset(c.base, 0, bytes - 64);
    net = (locus_net *)locusi_carve(&c, 1, sizeof(locus_net));
    *net = plan;
    net->owned = owned;
    net->kernels = locusi_kernels_for(isa);
    locusi_net_carve(net, &c);
    locusi_net_load(net, st);
#ifndef LOCUS_INFERENCE_ONLY
    if (net->info.has_encoder) locusi_net_prepare(net);
#endif
    net->info.q_dim = net->q;
    net->info.z_dim = net->d;
    net->info.n_heads = net->info.has_encoder ? net->heads : 0;
    net->info.n_layers = net->layers;
    net->info.m_induce = net->r;
    net->info.decoder_hidden = net->g;
    net->info.query_encoder = net->query_encoder;
    if ((status = locusi_text_load(net, st, err))) {
        if (owned) LOCUS_FREE(owned);
        return status;
    }
    *out = net;
    return LOCUS_OK;
}

#ifndef LOCUS_NO_STDIO
LOCUS_API locus_status locus_net_open(locus_net **out, const char *path, const locus_net_opts *opts, locus_error *err)
{
    locus_safetensors st;
    locus_status status;
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    *out = NULL;
    if ((status = locus_safetensors_open(&st, path, err))) return status;
    status = locus_net_create(out, &st, opts, err);
    locus_safetensors_close(&st);
    return status;
}
#endif

LOCUS_API void locus_net_destroy(locus_net *net)
{
    if (net && net->owned) LOCUS_FREE(net->owned);
}

LOCUS_API locus_net_info locus_net_get_info(const locus_net *net) { return net->info; }

LOCUS_API const locus_text *locus_net_text(const locus_net *net) { return net->has_text ? &net->text : NULL; }

// ---- query encodings, as every call checks them

LOCUSI_FN locus_status locusi_check_queries(const locus_net *net, const locus_queries *q, locus_error *err)
{
    if (q->dim != net->q)
        return locusi_fail(err, LOCUS_ERR_QUERY_DIM, "queries.dim", "%z, the net's q_dim", "%z", net->q, q->dim);
    if (q->stride && q->stride < q->dim)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "queries.stride", "0 or at least %z", "%z", q->dim, q->stride);
    if (!q->encodings && q->count) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "queries.encodings", "an array", "NULL");
    if (q->count > SIZE_MAX / sizeof(float) / (q->stride ? q->stride : q->dim))
        return locusi_fail(err, LOCUS_ERR_OVERFLOW, "queries.count", "rows that fit into memory", "%z", q->count);
    return LOCUS_OK;
}

// First bad number of an encoding: not finite, or the largest where their sum of squares is absurd.
LOCUSI_FN locus_status locusi_bad_encoding(const float *q, size_t dim, size_t row, locus_error *err)
{
    size_t i, worst = 0;
    for (i = 0; i < dim; i++) {
        if ((locusi_f32_bits(q[i]) & 0x7fffffffu) > (locusi_f32_bits(q[worst]) & 0x7fffffffu)) worst = i;
        if (!locusi_finite(q[i])) {
            worst = i;
            break;
        }
    }
    return locusi_fail(err, LOCUS_ERR_NONFINITE, "encodings[%z, %z]", "a finite number of sensible size", "%f", row,
                       worst, (double)q[worst]);
}

LOCUSI_FN double locusi_encoding_norm(const locus_net *net, const float *q)
{
    const float square = net->kernels->square(q, net->q);
    return locusi_finite(square) && square < 1e24f ? sqrt((double)square) : -1.0;
}

// ------------------------------------------------------------------------------------------------------- >>encoder
//
// Exact sums. Attention over an evaluation set needs sum_i p_i and sum_i p_i v_i with p_i = 2^score. Each term is
// rounded to a fixed grid by itself and the grid points are added as integers: no rounding, so no order, no split over
// tiles, calls or threads can change a bit, and a second pass over a streamed set finds the same numbers as a stored
// one.
//
// The grid. p is taken relative to a level, a multiple of 16 powers of two: level = floor((score + 8) / 16), so that
// 2^-8 <= p <= 2^8 there. Values are scaled by the power of two that bounds them (a bound from the weights, and in
// layer 0 from the longest encoding of the model's own set) to |v| <= 2^36: |p v| <= 2^44, rounded to an integer. Sums
// are kept for the highest level seen and the three below; what lies lower is 2^-48 of the whole and dropped, whatever
// the order. In practice everything is in level 0. Every 4,096 rows the sums' high words are carried, so n has no
// limit.
//
// What is shared. A token is affine in the score, t = (1-y) T0 + y T1, and so are its keys, values, queries and its
// scores against the constant inducing vectors of layer 0. They are computed once for each (query, 0 or 1) that occurs,
// for all models; 0/1 scores pick one, fractional scores mix the two.
//
// Passes. Pass 0 feeds layer 0's inducing vectors; pass l > 0 applies layer l-1 to the tokens and feeds layer l, or the
// pooling. The fast path keeps the tokens between passes, the streaming path starts anew from the encodings each time.

#ifndef LOCUS_INFERENCE_ONLY

#define LOCUSI_TILE ((size_t)96)       // evaluations worked on at once: their rows stay in the second-level cache
#define LOCUSI_CHUNK (4 * LOCUSI_TILE) // handed to a worker at a time
#define LOCUSI_SLOTS ((size_t)4)       // levels kept
#define LOCUSI_CARRY ((size_t)4096)    // rows between carries; 2^19 would do

typedef struct locusi_sums { // for groups (heads) x rows (inducing vectors): sums of width values, and of weights
    size_t groups, rows, rowsp, width, pending;
    int32_t *top;                    // [groups, rows] highest level seen
    int64_t *sum[LOCUSI_SLOTS];      // [groups, rows, width] of level top - slot
    int64_t *sum_high[LOCUSI_SLOTS]; // carried: the value is high * 2^32 + low
    int64_t *total[LOCUSI_SLOTS];    // [groups, rowsp]
    int64_t *total_high[LOCUSI_SLOTS];
    int used[LOCUSI_SLOTS], carried[LOCUSI_SLOTS];
} locusi_sums;

typedef struct locusi_table { // one row for each (query, score 0 or 1) that occurs
    float *t;                 // [dp] token
    float *q;                 // [hp] its query for layer 0's second block
    float *s;                 // [heads, rp] its scores against layer 0's inducing vectors, in powers of 2
    float *v;                 // [hp] its values
} locusi_table;

typedef struct locusi_state { // a model on its way: what its tokens attend to in the second block of each layer
    float *keys;              // [layers][heads * dh * rp] packed
    float *values;            // [layers][r * hp] packed
    double token_bound;       // of layer 0's values
} locusi_state;

typedef struct locusi_scratch { // one worker's buffers, for a tile of evaluations
    float *x, *q, *k, *v, *h, *o, *hidden, *s, *f, *level, *encodings;
    double *p64, *masked, *v64;
    locusi_table tile; // streaming: the tile's own table
    size_t query[LOCUSI_TILE], entry[2][LOCUSI_TILE];
    const float *scores[LOCUSI_TILE], *values[LOCUSI_TILE]; // where the rows to be summed stand
    float y[LOCUSI_TILE];
    locusi_sums sums;
    locusi_state state;
    float *stored; // [n, dp] fast path: the model's tokens
    float *sab[4]; // sab: x, the next x, keys, values
    double norm;   // longest encoding seen
    size_t mine;
} locusi_scratch;

typedef struct locusi_job {
    const locus_net *net;
    const locus_evals *evals;
    const locus_encode_opts *opts;
    float *z;
    size_t n, models, stride, workers, model, pass;
    int streaming, by_rows, bad, stop, reporting;
    locusi_table table;
    uint32_t *place[2];    // [n] row of the table for (query, 0 or 1), UINT32_MAX where it does not occur
    uint32_t *entry_query; // [entries] and back; the first `zeros` are for score 0
    size_t entries, zeros;
    float *norms;    // [n] fast path
    uint32_t *draws; // [models, n] versions of one model: the rows of evaluations in each, as often as they count ...
    size_t *drawn;   // [models] ... and how many; NULL: models are rows of scores
    locusi_scratch *scratch;
    locusi_counter counter;
    size_t done, total; // of progress
} locusi_job;

static LOCUSI_INLINE size_t locusi_max(size_t a, size_t b) { return a > b ? a : b; }

// ---- input

// A model's evaluations stand in places 0 .. locusi_places - 1; 1, the row *i and *y, or 0 if there is none in a place.
LOCUSI_FN size_t locusi_places(const locusi_job *job, size_t model) { return job->draws ? job->drawn[model] : job->n; }

LOCUSI_FN int locusi_evaluation(const locusi_job *job, size_t model, size_t place, size_t *i, float *y)
{
    *i = job->draws ? job->draws[model * job->n + place] : place;
    return locusi_score(job->evals, job->draws ? 0 : model, *i, y);
}

LOCUSI_FN const float *locusi_encoding(const locusi_job *job, size_t i)
{
    return job->evals->queries.encodings + i * job->stride;
}

// ---- exact sums

LOCUSI_FN void locusi_sums_slot(locusi_sums *s, size_t slot) // ready to be added to
{
    if (s->used[slot]) return;
    memset(s->sum[slot], 0, s->groups * s->rows * s->width * sizeof(int64_t));
    memset(s->total[slot], 0, s->groups * s->rowsp * sizeof(int64_t));
    s->used[slot] = 1;
    s->carried[slot] = 0;
}

LOCUSI_FN void locusi_sums_start(locusi_sums *s, size_t groups, size_t rows, size_t width)
{
    size_t i;
    s->groups = groups;
    s->rows = rows;
    s->rowsp = locusi_pad(rows);
    s->width = width;
    s->pending = 0;
    for (i = 0; i < groups * rows; i++) s->top[i] = INT32_MIN;
    for (i = 0; i < LOCUSI_SLOTS; i++) s->used[i] = 0;
}

LOCUSI_FN void locusi_carry(int64_t *low, int64_t *high, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) {
        const int64_t rest = (int64_t)((uint64_t)low[i] & 0xffffffffu);
        high[i] += (low[i] - rest) / 4294967296;
        low[i] = rest;
    }
}

LOCUSI_FN void locusi_sums_carry(locusi_sums *s)
{
    size_t slot;
    for (slot = 0; slot < LOCUSI_SLOTS; slot++) {
        const size_t n = s->groups * s->rows * s->width, m = s->groups * s->rowsp;
        if (!s->used[slot]) continue;
        if (!s->carried[slot]) {
            memset(s->sum_high[slot], 0, n * sizeof(int64_t));
            memset(s->total_high[slot], 0, m * sizeof(int64_t));
            s->carried[slot] = 1;
        }
        locusi_carry(s->sum[slot], s->sum_high[slot], n);
        locusi_carry(s->total[slot], s->total_high[slot], m);
    }
    s->pending = 0;
}

// A higher level appeared: the row's sums move down, the lowest fall out.
LOCUSI_FN void locusi_sums_raise(locusi_sums *s, size_t group, size_t row, int32_t level)
{
    const size_t r = group * s->rows + row, t = group * s->rowsp + row, width = s->width;
    const int32_t before = s->top[r];
    size_t slot, by, i;
    s->top[r] = level;
    if (before == INT32_MIN) return;
    by = (size_t)((int64_t)level - before);
    for (slot = 0; slot < LOCUSI_SLOTS; slot++) locusi_sums_slot(s, slot);
    for (slot = 0; slot < LOCUSI_SLOTS && s->carried[slot]; slot++) {}
    if (slot < LOCUSI_SLOTS) locusi_sums_carry(s); // all slots have both words from here on
    for (slot = LOCUSI_SLOTS; slot-- > 0;) {
        const int kept = slot >= by;
        const size_t from = kept ? slot - by : 0;
        for (i = r * width; i < (r + 1) * width; i++) {
            s->sum[slot][i] = kept ? s->sum[from][i] : 0;
            s->sum_high[slot][i] = kept ? s->sum_high[from][i] : 0;
        }
        s->total[slot][t] = kept ? s->total[from][t] : 0;
        s->total_high[slot][t] = kept ? s->total_high[from][t] : 0;
    }
}

// Add a tile of n rows to a group: row i has its scores, in powers of 2, at w->scores[i] + at, and its values, with
// |value * scale| <= 2^36, at w->values[i] + value_at.
LOCUSI_FN void locusi_sums_add(const locusi_kernels *k, locusi_scratch *w, size_t group, size_t at, size_t n,
                               size_t value_at, double scale)
{
    locusi_sums *s = &w->sums;
    const size_t rows = s->rows, ld = s->rowsp, width = s->width;
    int32_t *top = s->top + group * rows;
    float low, high;
    size_t i, j, slot;
    LOCUS_ASSERT(n > 0 && n <= 128); // what an accumulator has room for
    k->widen(w->values, value_at, n, width, scale, w->v64, width);
    k->weights(w->scores, at, n, ld, w->p64, ld, &low, &high);
    if (low >= -8.0f && high < 8.0f) {
        for (j = 0; j < rows && (top[j] == 0 || top[j] == INT32_MIN); j++) top[j] = 0;
        if (j == rows) {
            locusi_sums_slot(s, 0);
            k->accumulate(w->p64, ld, n, rows, w->v64, width, width, s->sum[0] + group * rows * width,
                          s->total[0] + group * ld);
            return;
        }
    }
    for (i = 0; i < n; i++)
        for (j = 0; j < ld; j++) {
            const float score = w->scores[i][at + j];
            float level = floorf((score + 8.0f) * (1.0f / 16.0f)), f;
            level = level > 1e8f ? 1e8f : level > -1e8f ? level : -1e8f;
            f = score - 16.0f * level;
            w->level[i * ld + j] = level;
            w->f[i * ld + j] = f > 8.0f ? 8.0f : f > -8.0f ? f : -8.0f;
            if (j < rows && (top[j] == INT32_MIN || (int32_t)level > top[j]))
                locusi_sums_raise(s, group, j, (int32_t)level);
        }
    for (i = 0; i < n; i++) w->scores[i] = w->f + i * ld - at;
    k->weights(w->scores, at, n, ld, w->p64, ld, &low, &high);
    for (slot = 0; slot < LOCUSI_SLOTS; slot++) {
        int any = 0;
        for (i = 0; i < n; i++)
            for (j = 0; j < ld; j++) {
                const int here = j < rows && (int64_t)top[j] - (int64_t)w->level[i * ld + j] == (int64_t)slot;
                w->masked[i * ld + j] = here ? w->p64[i * ld + j] : 0.0;
                any |= here;
            }
        if (!any) continue;
        locusi_sums_slot(s, slot);
        k->accumulate(w->masked, ld, n, rows, w->v64, width, width, s->sum[slot] + group * rows * width,
                      s->total[slot] + group * ld);
    }
}

// The rows to be summed stand one after the other.
LOCUSI_FN void locusi_rows(const float **row, const float *first, size_t ld, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) row[i] = first + i * ld;
}

// n rows have been added to every group.
LOCUSI_FN void locusi_sums_tick(locusi_sums *s, size_t n)
{
    s->pending += n;
    if (s->pending > LOCUSI_CARRY) locusi_sums_carry(s);
}

// Add b to a; both are left carried.
LOCUSI_FN void locusi_sums_merge(locusi_sums *a, locusi_sums *b)
{
    const size_t width = a->width;
    size_t group, row, slot, j;
    locusi_sums_carry(a);
    locusi_sums_carry(b);
    for (group = 0; group < a->groups; group++)
        for (row = 0; row < a->rows; row++) {
            const size_t r = group * a->rows + row, t = group * a->rowsp + row;
            if (b->top[r] == INT32_MIN) continue;
            if (a->top[r] < b->top[r]) locusi_sums_raise(a, group, row, b->top[r]);
            for (slot = 0; slot < LOCUSI_SLOTS; slot++) {
                const int64_t to = (int64_t)slot + a->top[r] - b->top[r];
                if (!b->used[slot] || to >= (int64_t)LOCUSI_SLOTS) continue;
                if (!a->used[to]) {
                    locusi_sums_slot(a, (size_t)to);
                    locusi_sums_carry(a);
                }
                for (j = r * width; j < (r + 1) * width; j++) {
                    a->sum[to][j] += b->sum[slot][j];
                    a->sum_high[to][j] += b->sum_high[slot][j];
                }
                a->total[to][t] += b->total[slot][t];
                a->total_high[to][t] += b->total_high[slot][t];
            }
        }
    locusi_sums_carry(a);
}

// out [width] <- sum p v / sum p for one row, once all sums are carried; unit: of the values
LOCUSI_FN void locusi_sums_mean(const locusi_sums *s, size_t group, size_t row, double unit, float *out)
{
    const double below[LOCUSI_SLOTS] = {1.0, 1.0 / 65536, 1.0 / 65536 / 65536, 1.0 / 65536 / 65536 / 65536};
    const size_t r = (group * s->rows + row) * s->width, t = group * s->rowsp + row;
    double total = 0.0;
    size_t slot, j;
    for (slot = 0; slot < LOCUSI_SLOTS; slot++)
        if (s->used[slot])
            total += ((double)s->total_high[slot][t] * 4294967296.0 + (double)s->total[slot][t]) * below[slot];
    for (j = 0; j < s->width; j++) {
        double sum = 0.0;
        for (slot = 0; slot < LOCUSI_SLOTS; slot++)
            if (s->used[slot])
                sum += ((double)s->sum_high[slot][r + j] * 4294967296.0 + (double)s->sum[slot][r + j]) * below[slot];
        out[j] = (float)(sum / total * unit);
    }
}

// |v| <= bound -> the scale that brings v to at most 2^36, and the unit that takes it back.
LOCUSI_FN double locusi_value_scale(double bound, double *unit)
{
    int e;
    frexp(bound, &e);
    *unit = ldexp(1.0, e);
    return ldexp(1.0, 36 - e);
}

// ---- blocks

// The second half of a block: x <- LN1(O + rff(O)), O = ReLU(LN0(h fc + residual)). x may be the residual.
LOCUSI_FN int locusi_block_tail(const locus_net *net, const locusi_mab *m, locusi_scratch *w, size_t rows,
                                const float *residual, float *x)
{
    const locusi_kernels *k = net->kernels;
    int finite;
    locusi_matmul_run(k, w->h, net->hp, rows, net->hp, m->fc, net->dp, w->o, net->dp, NULL, residual, net->dp, 0);
    finite = k->layernorm(w->o, net->dp, rows, net->d, net->dp / 16, m->gain0, m->bias0, net->live, 1);
    locusi_matmul_run(k, w->o, net->dp, rows, net->d, m->w1, net->fp, w->hidden, net->fp, m->b1, NULL, 0, 1);
    locusi_matmul_run(k, w->hidden, net->fp, rows, net->f, m->w2, net->dp, x, net->dp, m->b2, w->o, net->dp, 0);
    return k->layernorm(x, net->dp, rows, net->d, net->dp / 16, m->gain1, m->bias1, net->live, 0) && finite;
}

// x [rows, dp] <- MAB2(x, induced) for layer l; q holds x W_q.
LOCUSI_FN int locusi_block_attend(const locus_net *net, size_t l, const locusi_state *state, locusi_scratch *w,
                                  size_t rows, const float *q, float *x)
{
    const locusi_kernels *k = net->kernels;
    const float *keys = state->keys + l * net->heads * net->dh * net->rp;
    const float *values = state->values + l * net->r * net->hp;
    size_t h;
    for (h = 0; h < net->heads; h++) {
        locusi_matmul_run(k, q + h * net->dhp, net->hp, rows, net->dh, keys + h * net->dh * net->rp, net->rp, w->s,
                          net->rp, net->r < net->rp ? net->no_column : NULL, NULL, 0, 0);
        k->softmax(w->s, net->rp, rows, net->rp / 16);
        locusi_matmul_run(k, w->s, net->rp, rows, net->r, values + h * net->dhp * net->r, net->dhp, w->h + h * net->dhp,
                          net->hp, NULL, NULL, 0, 0);
    }
    return locusi_block_tail(net, &net->layer[l].mab2, w, rows, x, x);
}

// Feed x [rows, dp] to layer l's inducing vectors.
LOCUSI_FN void locusi_feed_induced(const locus_net *net, size_t l, locusi_scratch *w, size_t rows, const float *x)
{
    const locusi_kernels *k = net->kernels;
    const locusi_mab *m = &net->layer[l].mab1;
    double unit;
    const double scale = locusi_value_scale(m->value_bound, &unit);
    size_t h;
    locusi_matmul_run(k, x, net->dp, rows, net->d, m->wk, net->hp, w->k, net->hp, NULL, NULL, 0, 0);
    locusi_matmul_run(k, x, net->dp, rows, net->d, m->wv, net->hp, w->v, net->hp, NULL, NULL, 0, 0);
    locusi_rows(w->values, w->v, net->hp, rows);
    for (h = 0; h < net->heads; h++) {
        locusi_matmul_run(k, w->k + h * net->dhp, net->hp, rows, net->dh, net->layer[l].queries + h * net->dh * net->rp,
                          net->rp, w->s, net->rp, NULL, NULL, 0, 0);
        locusi_rows(w->scores, w->s, net->rp, rows);
        locusi_sums_add(k, w, h, 0, rows, h * net->dhp, scale);
    }
    locusi_sums_tick(&w->sums, rows);
}

// Feed x [rows, dp] to the pooling: keys are folded into the constant queries, values are x itself (W_v comes after).
LOCUSI_FN void locusi_feed_pool(const locus_net *net, locusi_scratch *w, size_t rows, const float *x)
{
    double unit;
    const double scale = locusi_value_scale(net->pool_bound, &unit);
    const size_t hp = locusi_pad(net->heads);
    locusi_matmul_run(net->kernels, x, net->dp, rows, net->d, net->pool_queries, hp, w->s, hp, NULL, NULL, 0, 0);
    locusi_rows(w->scores, w->s, hp, rows);
    locusi_rows(w->values, x, net->dp, rows);
    locusi_sums_add(net->kernels, w, 0, 0, rows, 0, scale);
    locusi_sums_tick(&w->sums, rows);
}

// The sums of layer l's first block are complete: finish it and lay out what its second block attends to.
LOCUSI_FN int locusi_finish_induced(const locus_net *net, size_t l, locusi_state *state, locusi_scratch *w)
{
    const locusi_kernels *k = net->kernels;
    const locusi_layer *layer = &net->layer[l];
    const float softmax_scale = locusi_softmax_scale(net);
    float *keys = state->keys + l * net->heads * net->dh * net->rp, *values = state->values + l * net->r * net->hp;
    size_t first, rows, i, h, c;
    double unit;
    int finite = 1;
    locusi_value_scale(l ? layer->mab1.value_bound : state->token_bound, &unit);
    locusi_sums_carry(&w->sums);
    memset(keys, 0, net->heads * net->dh * net->rp * sizeof(float)); // the columns beyond r must be numbers
    for (first = 0; first < net->r; first += rows) {
        rows = net->r - first < LOCUSI_TILE ? net->r - first : LOCUSI_TILE;
        for (i = 0; i < rows; i++)
            for (h = 0; h < net->heads; h++)
                locusi_sums_mean(&w->sums, h, first + i, unit, w->h + i * net->hp + h * net->dhp);
        finite &= locusi_block_tail(net, &layer->mab1, w, rows, layer->induce + first * net->dp, w->x);
        locusi_matmul_run(k, w->x, net->dp, rows, net->d, layer->mab2.wk, net->hp, w->k, net->hp, NULL, NULL, 0, 0);
        locusi_matmul_run(k, w->x, net->dp, rows, net->d, layer->mab2.wv, net->hp, w->v, net->hp, NULL, NULL, 0, 0);
        locusi_pack_heads(net, w->k, first, rows, net->r, softmax_scale, keys);
        for (i = 0; i < rows; i++)
            for (c = 0; c < net->hp; c += 16)
                memcpy(values + c * net->r + (first + i) * 16, w->v + i * net->hp + c, 16 * sizeof(float));
    }
    return finite;
}

// The pooling's sums are complete: z [d] is the embedding.
LOCUSI_FN int locusi_finish_pool(const locus_net *net, locusi_scratch *w, float *z)
{
    const locusi_kernels *k = net->kernels;
    const locusi_mab *m = &net->pool_mab;
    double unit;
    size_t h, i;
    int finite;
    locusi_value_scale(net->pool_bound, &unit);
    locusi_sums_carry(&w->sums);
    for (h = 0; h < net->heads; h++) {
        locusi_sums_mean(&w->sums, 0, h, unit, w->x);
        locusi_matmul_run(k, w->x, net->dp, 1, net->d, m->wv + h * net->dhp * net->d, net->dhp, w->h + h * net->dhp,
                          net->hp, NULL, NULL, 0, 0);
    }
    finite = locusi_block_tail(net, m, w, 1, net->pool_seed, w->x);
    locusi_matmul_run(k, w->x, net->dp, 1, net->d, net->out, net->dp, w->o, net->dp, net->out_bias, NULL, 0, 0);
    memcpy(z, w->o, net->d * sizeof(float));
    for (i = 0; i < net->d; i++) finite &= locusi_finite(z[i]);
    return finite;
}

// ---- tokens

enum { LOCUSI_TOKENS = 1, LOCUSI_QUERIES = 2, LOCUSI_KEYS = 4 };

// Rows first .. first + n of a table <- the tokens of these queries with score `one`, and what follows from them.
LOCUSI_FN void locusi_table_fill(const locusi_job *job, locusi_scratch *w, const locusi_table *table, size_t first,
                                 int one, const size_t *query, size_t n, int what)
{
    const locus_net *net = job->net;
    const locusi_kernels *k = net->kernels;
    const float *a = locusi_encoding(job, query[0]);
    float *t = table->t ? table->t + first * net->dp : w->x;
    size_t lda = job->stride, i, h;
    for (i = 1; i < n && query[i] == query[i - 1] + 1; i++) {}
    if (i < n) {
        for (i = 0; i < n; i++)
            memcpy(w->encodings + i * net->q, locusi_encoding(job, query[i]), net->q * sizeof(float));
        a = w->encodings;
        lda = net->q;
    }
    locusi_matmul_run(k, a, lda, n, net->q, net->token[one], net->dp, t, net->dp, net->token_bias[one], NULL, 0, 0);
    if (what & LOCUSI_QUERIES)
        locusi_matmul_run(k, t, net->dp, n, net->d, net->layer[0].mab2.wq, net->hp, table->q + first * net->hp, net->hp,
                          NULL, NULL, 0, 0);
    if (!(what & LOCUSI_KEYS)) return;
    locusi_matmul_run(k, t, net->dp, n, net->d, net->layer[0].mab1.wk, net->hp, w->k, net->hp, NULL, NULL, 0, 0);
    locusi_matmul_run(k, t, net->dp, n, net->d, net->layer[0].mab1.wv, net->hp, table->v + first * net->hp, net->hp,
                      NULL, NULL, 0, 0);
    for (h = 0; h < net->heads; h++)
        locusi_matmul_run(k, w->k + h * net->dhp, net->hp, n, net->dh, net->layer[0].queries + h * net->dh * net->rp,
                          net->rp, table->s + first * net->heads * net->rp + h * net->rp, net->heads * net->rp, NULL,
                          NULL, 0, 0);
}

// Next evaluations of a model from *cursor on, at most a tile; 0 at the end. Fills query, y, and entry (fast path).
LOCUSI_FN size_t locusi_tile_next(const locusi_job *job, locusi_scratch *w, size_t model, size_t *cursor, size_t end)
{
    size_t rows = 0, place = *cursor, i;
    for (; place < end && rows < LOCUSI_TILE; place++) {
        if (!locusi_evaluation(job, model, place, &i, &w->y[rows])) continue;
        w->query[rows] = i;
        if (!job->streaming) {
            w->entry[0][rows] = job->place[0][i];
            w->entry[1][rows] = job->place[1][i];
        }
        rows++;
    }
    *cursor = place;
    return rows;
}

// Streaming: compute the tile's own table, grouped by score.
LOCUSI_FN void locusi_tile_table(const locusi_job *job, locusi_scratch *w, size_t rows, int what)
{
    size_t query[LOCUSI_TILE], n, i, first = 0;
    int one;
    for (one = 0; one < 2; one++) {
        for (i = n = 0; i < rows; i++)
            if (one ? w->y[i] > 0.0f : w->y[i] < 1.0f) {
                w->entry[one][i] = first + n;
                query[n++] = w->query[i];
            }
        if (n) locusi_table_fill(job, w, &w->tile, first, one, query, n, what);
        first += n;
    }
}

LOCUSI_FN void locusi_mix_rows(float *out, const float *a, const float *b, float y, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) out[i] = (1.0f - y) * a[i] + y * b[i];
}

// row[i] <- where the tile's rows of a table column stand: in the table, or in `mixed` where the score is fractional
LOCUSI_FN void locusi_gather(const locusi_scratch *w, size_t rows, const float *column, size_t n, float *mixed,
                             const float **row)
{
    size_t i;
    for (i = 0; i < rows; i++) {
        if (w->y[i] <= 0.0f) row[i] = column + w->entry[0][i] * n;
        else if (w->y[i] >= 1.0f) row[i] = column + w->entry[1][i] * n;
        else {
            locusi_mix_rows(mixed + i * n, column + w->entry[0][i] * n, column + w->entry[1][i] * n, w->y[i], n);
            row[i] = mixed + i * n;
        }
    }
}

// out [rows, n] <- the tile's rows of a table column
LOCUSI_FN void locusi_gather_copy(locusi_scratch *w, size_t rows, const float *column, size_t n, float *out)
{
    size_t i;
    locusi_gather(w, rows, column, n, out, w->values);
    for (i = 0; i < rows; i++)
        if (w->values[i] != out + i * n) memcpy(out + i * n, w->values[i], n * sizeof(float));
}

// One tile of one pass; slot: where its tokens are kept between passes (fast path).
LOCUSI_FN int locusi_tile_pass(const locusi_job *job, const locusi_state *state, locusi_scratch *w, size_t pass,
                               size_t rows, float *slot)
{
    const locus_net *net = job->net;
    const locusi_table *table = job->streaming ? &w->tile : &job->table;
    float *x = slot ? slot : w->x;
    size_t l = pass ? pass - 1 : 0, h;
    int finite = 1;
    if (pass == 0) {
        double unit;
        const double scale = locusi_value_scale(state->token_bound, &unit);
        if (job->streaming) locusi_tile_table(job, w, rows, LOCUSI_KEYS);
        locusi_gather(w, rows, table->v, net->hp, w->v, w->values);
        for (h = 0; h < net->heads; h++) {
            locusi_gather(w, rows, table->s, net->heads * net->rp, w->s, w->scores);
            locusi_sums_add(net->kernels, w, h, h * net->rp, rows, h * net->dhp, scale);
        }
        locusi_sums_tick(&w->sums, rows);
        return 1;
    }
    if (job->streaming) locusi_tile_table(job, w, rows, LOCUSI_TOKENS | LOCUSI_QUERIES);
    if (job->streaming || pass == 1) {
        locusi_gather_copy(w, rows, table->t, net->dp, x);
        locusi_gather_copy(w, rows, table->q, net->hp, w->q);
        finite &= locusi_block_attend(net, 0, state, w, rows, w->q, x);
        l = 1;
    }
    for (; l < pass; l++) {
        locusi_matmul_run(net->kernels, x, net->dp, rows, net->d, net->layer[l].mab2.wq, net->hp, w->q, net->hp, NULL,
                          NULL, 0, 0);
        finite &= locusi_block_attend(net, l, state, w, rows, w->q, x);
    }
    if (pass < net->layers) locusi_feed_induced(net, pass, w, rows, x);
    else locusi_feed_pool(net, w, rows, x);
    return finite;
}

LOCUSI_FN void locusi_sums_start_pass(const locus_net *net, locusi_sums *s, size_t pass)
{
    if (pass < net->layers) locusi_sums_start(s, net->heads, net->r, net->dhp);
    else locusi_sums_start(s, 1, net->heads, net->dp);
}

// Report from whichever worker comes by, one at a time.
LOCUSI_FN void locusi_progress(locusi_job *job, size_t worker, size_t rows)
{
    const size_t total = job->total;
    size_t done;
    if (!job->opts || !job->opts->progress) return;
#if LOCUSI_ATOMIC
    (void)worker;
    done = __atomic_add_fetch(&job->done, rows, __ATOMIC_RELAXED);
    if (__atomic_exchange_n(&job->reporting, 1, __ATOMIC_ACQUIRE)) return;
    if (job->opts->progress(job->opts->user, done, total)) locusi_set_flag(&job->stop);
    __atomic_store_n(&job->reporting, 0, __ATOMIC_RELEASE);
#else
    if (worker > 0) return;
    done = job->done += rows;
    if (job->opts->progress(job->opts->user, done, total)) locusi_set_flag(&job->stop);
#endif
}

// ---- one model by one worker; one model by all workers

// Of a model's longest encoding follows the bound of layer 0's values.
LOCUSI_FN void locusi_model_bound(const locusi_job *job, size_t model, locusi_state *state)
{
    const locus_net *net = job->net;
    double norm = 0.0;
    size_t place, i;
    float y;
    if (job->streaming) norm = (double)job->z[model * net->d]; // left there by the check
    for (place = 0; !job->streaming && place < locusi_places(job, model); place++)
        if (locusi_evaluation(job, model, place, &i, &y) && (double)job->norms[i] > norm) norm = (double)job->norms[i];
    state->token_bound = (norm * net->token_norm + net->token_bias_norm) * net->value_norm * 1.001 + 1e-30;
}

LOCUSI_FN int locusi_encode_sab(locusi_job *job, locusi_scratch *w, size_t worker, size_t model);

LOCUSI_FN void locusi_encode_models(void *arg, size_t worker)
{
    locusi_job *job = (locusi_job *)arg;
    const locus_net *net = job->net;
    locusi_scratch *w = &job->scratch[worker];
    size_t model, pass;
    w->mine = 0;
    while ((model = locusi_next(&job->counter, worker, &w->mine)) < job->models) {
        const size_t places = locusi_places(job, model);
        int finite = 1;
        locusi_model_bound(job, model, &w->state);
        if (net->info.encoder_kind == LOCUS_SAB) finite = locusi_encode_sab(job, w, worker, model);
        for (pass = 0; pass <= net->layers && net->info.encoder_kind == LOCUS_ISAB; pass++) {
            size_t cursor = 0, slot = 0, rows, before;
            locusi_sums_start_pass(net, &w->sums, pass);
            for (; before = cursor, (rows = locusi_tile_next(job, w, model, &cursor, places)) > 0; slot += rows) {
                finite &= locusi_tile_pass(job, &w->state, w, pass, rows, w->stored + slot * net->dp);
                locusi_progress(job, worker, cursor - before);
                if (locusi_get_flag(&job->stop)) return;
            }
            finite &= pass < net->layers ? locusi_finish_induced(net, pass, &w->state, w)
                                         : locusi_finish_pool(net, w, job->z + model * net->d);
        }
        if (!finite) locusi_set_flag(&job->bad);
    }
}

LOCUSI_FN void locusi_encode_rows(void *arg, size_t worker)
{
    locusi_job *job = (locusi_job *)arg;
    const locus_net *net = job->net;
    locusi_scratch *w = &job->scratch[worker], *shared = &job->scratch[0];
    const size_t n = locusi_places(job, job->model);
    size_t chunk, rows;
    w->mine = 0;
    locusi_sums_start_pass(net, &w->sums, job->pass);
    while ((chunk = locusi_next(&job->counter, worker, &w->mine)) < (n + LOCUSI_CHUNK - 1) / LOCUSI_CHUNK) {
        size_t cursor = chunk * LOCUSI_CHUNK, slot = cursor;
        const size_t end = n - cursor < LOCUSI_CHUNK ? n : cursor + LOCUSI_CHUNK;
        for (; (rows = locusi_tile_next(job, w, job->model, &cursor, end)) > 0; slot += rows)
            if (!locusi_tile_pass(job, &shared->state, w, job->pass, rows,
                                  job->streaming ? NULL : shared->stored + slot * net->dp))
                locusi_set_flag(&job->bad);
        locusi_progress(job, worker, end - chunk * LOCUSI_CHUNK);
        if (locusi_get_flag(&job->stop)) return;
    }
}

// sab: X <- MAB(X, X), layer by layer. A tile of queries plays the inducing vectors' part.
LOCUSI_FN int locusi_encode_sab(locusi_job *job, locusi_scratch *w, size_t worker, size_t model)
{
    const locus_net *net = job->net;
    const locusi_kernels *k = net->kernels;
    const float scale = locusi_softmax_scale(net);
    float *x = w->sab[0], *next = w->sab[1], *keys = w->sab[2], *values = w->sab[3], *packed = w->encodings;
    size_t n = 0, cursor = 0, rows, l, i, j, h;
    int finite = 1;
    for (; (rows = locusi_tile_next(job, w, model, &cursor, locusi_places(job, model))) > 0; n += rows)
        locusi_gather_copy(w, rows, job->table.t, net->dp, x + n * net->dp);
    for (l = 0; l < net->layers; l++) {
        const locusi_mab *m = &net->layer[l].mab2;
        float *swap = x;
        double unit;
        const double value_scale = locusi_value_scale(l ? m->value_bound : w->state.token_bound, &unit);
        locusi_matmul_run(k, x, net->dp, n, net->d, m->wk, net->hp, keys, net->hp, NULL, NULL, 0, 0);
        locusi_matmul_run(k, x, net->dp, n, net->d, m->wv, net->hp, values, net->hp, NULL, NULL, 0, 0);
        for (i = 0; i < n; i += rows) {
            size_t count;
            rows = n - i < LOCUSI_TILE ? n - i : LOCUSI_TILE;
            locusi_matmul_run(k, x + i * net->dp, net->dp, rows, net->d, m->wq, net->hp, w->q, net->hp, NULL, NULL, 0,
                              0);
            memset(packed, 0, net->heads * net->dh * locusi_pad(rows) * sizeof(float));
            locusi_pack_heads(net, w->q, 0, rows, rows, scale, packed);
            locusi_sums_start(&w->sums, net->heads, rows, net->dhp);
            for (j = 0; j < n; j += count) {
                count = n - j < LOCUSI_TILE ? n - j : LOCUSI_TILE;
                for (h = 0; h < net->heads; h++) {
                    locusi_matmul_run(k, keys + j * net->hp + h * net->dhp, net->hp, count, net->dh,
                                      packed + h * net->dh * locusi_pad(rows), locusi_pad(rows), w->s, locusi_pad(rows),
                                      NULL, NULL, 0, 0);
                    locusi_rows(w->scores, w->s, locusi_pad(rows), count);
                    locusi_rows(w->values, values + j * net->hp, net->hp, count);
                    locusi_sums_add(k, w, h, 0, count, h * net->dhp, value_scale);
                }
                locusi_sums_tick(&w->sums, count);
            }
            locusi_sums_carry(&w->sums);
            for (j = 0; j < rows; j++)
                for (h = 0; h < net->heads; h++)
                    locusi_sums_mean(&w->sums, h, j, unit, w->h + j * net->hp + h * net->dhp);
            finite &= locusi_block_tail(net, m, w, rows, x + i * net->dp, next + i * net->dp);
            if (locusi_get_flag(&job->stop)) return 1;
        }
        x = next;
        next = swap;
        locusi_progress(job, worker, job->n);
    }
    locusi_sums_start(&w->sums, 1, net->heads, net->dp);
    for (i = 0; i < n; i += rows) {
        rows = n - i < LOCUSI_TILE ? n - i : LOCUSI_TILE;
        locusi_feed_pool(net, w, rows, x + i * net->dp);
    }
    locusi_progress(job, worker, job->n);
    return locusi_finish_pool(net, w, job->z + model * net->d) && finite;
}

// ---- the shared table, the check of the encodings

LOCUSI_FN void locusi_encode_norms(void *arg, size_t worker)
{
    locusi_job *job = (locusi_job *)arg;
    locusi_scratch *w = &job->scratch[worker];
    size_t chunk, i;
    float y;
    w->mine = 0;
    w->norm = 0.0;
    while ((chunk = locusi_next(&job->counter, worker, &w->mine)) < (job->n + LOCUSI_CHUNK - 1) / LOCUSI_CHUNK)
        for (i = chunk * LOCUSI_CHUNK; i < job->n && i < (chunk + 1) * LOCUSI_CHUNK; i++) {
            double norm;
            if (job->streaming ? !locusi_score(job->evals, job->model, i, &y)
                               : job->place[0][i] == UINT32_MAX && job->place[1][i] == UINT32_MAX)
                continue;
            norm = locusi_encoding_norm(job->net, locusi_encoding(job, i));
            if (norm < 0.0) locusi_set_flag(&job->bad);
            if (!job->streaming) job->norms[i] = (float)(norm * 1.0001);
            else if (norm > w->norm) w->norm = norm;
        }
}

LOCUSI_FN void locusi_encode_table(void *arg, size_t worker)
{
    locusi_job *job = (locusi_job *)arg;
    locusi_scratch *w = &job->scratch[worker];
    const int what =
        job->net->info.encoder_kind == LOCUS_SAB ? LOCUSI_TOKENS : LOCUSI_TOKENS | LOCUSI_QUERIES | LOCUSI_KEYS;
    const size_t zeros = (job->zeros + LOCUSI_TILE - 1) / LOCUSI_TILE;
    const size_t ones = (job->entries - job->zeros + LOCUSI_TILE - 1) / LOCUSI_TILE;
    size_t tile, query[LOCUSI_TILE], i;
    w->mine = 0;
    while ((tile = locusi_next(&job->counter, worker, &w->mine)) < zeros + ones) {
        const int one = tile >= zeros;
        const size_t first = one ? job->zeros + (tile - zeros) * LOCUSI_TILE : tile * LOCUSI_TILE;
        const size_t end = one ? job->entries : job->zeros;
        const size_t n = end - first < LOCUSI_TILE ? end - first : LOCUSI_TILE;
        for (i = 0; i < n; i++) query[i] = job->entry_query[first + i];
        locusi_table_fill(job, w, &job->table, first, one, query, n, what);
    }
}

// Which (query, 0 or 1) occur at all.
LOCUSI_FN void locusi_encode_places(locusi_job *job)
{
    size_t m, i;
    int one;
    float y;
    memset(job->place[0], 0, job->n * sizeof(uint32_t));
    memset(job->place[1], 0, job->n * sizeof(uint32_t));
    for (m = 0; m < job->evals->scores.models; m++)
        for (i = 0; i < job->n; i++)
            if (locusi_score(job->evals, m, i, &y)) {
                if (y < 1.0f) job->place[0][i] = 1;
                if (y > 0.0f) job->place[1][i] = 1;
            }
    job->entries = 0;
    for (one = 0; one < 2; one++) {
        for (i = 0; i < job->n; i++) {
            if (!job->place[one][i]) {
                job->place[one][i] = UINT32_MAX;
                continue;
            }
            job->place[one][i] = (uint32_t)job->entries;
            job->entry_query[job->entries++] = (uint32_t)i;
        }
        if (!one) job->zeros = job->entries;
    }
}

// ---- workspace and call

LOCUSI_FN void locusi_sums_carve(locusi_carver *c, locusi_sums *s, size_t rows, size_t totals, size_t cells)
{
    size_t slot;
    s->top = (int32_t *)locusi_carve(c, rows, sizeof(int32_t));
    for (slot = 0; slot < LOCUSI_SLOTS; slot++) {
        s->sum[slot] = (int64_t *)locusi_carve(c, cells, sizeof(int64_t));
        s->sum_high[slot] = (int64_t *)locusi_carve(c, cells, sizeof(int64_t));
        s->total[slot] = (int64_t *)locusi_carve(c, totals, sizeof(int64_t));
        s->total_high[slot] = (int64_t *)locusi_carve(c, totals, sizeof(int64_t));
    }
}

LOCUSI_FN void locusi_scratch_carve(locusi_carver *c, const locusi_job *job, locusi_scratch *w, size_t worker)
{
    const locus_net *net = job->net;
    const int sab = net->info.encoder_kind == LOCUS_SAB;
    const size_t rows = sab ? LOCUSI_TILE : net->rp, heads = locusi_pad(net->heads);
    const size_t across = locusi_max(locusi_max(rows, heads), net->rp);
    const size_t tile = LOCUSI_TILE;
    int i;
    memset(w, 0, sizeof *w);
    w->x = locusi_carve_floats(c, tile, net->dp);
    w->q = locusi_carve_floats(c, tile, net->hp);
    w->k = locusi_carve_floats(c, tile, net->hp);
    w->v = locusi_carve_floats(c, tile, net->hp);
    w->h = locusi_carve_floats(c, tile, net->hp);
    w->o = locusi_carve_floats(c, tile, net->dp);
    w->hidden = locusi_carve_floats(c, tile, net->fp);
    w->s = locusi_carve_floats(c, tile, locusi_max(across, net->heads * net->rp));
    w->f = locusi_carve_floats(c, tile, across);
    w->level = locusi_carve_floats(c, tile, across);
    w->encodings = locusi_carve_floats(c, tile, locusi_max(net->q, sab ? net->d : 0));
    w->p64 = (double *)locusi_carve(c, tile * across, sizeof(double));
    w->masked = (double *)locusi_carve(c, tile * across, sizeof(double));
    w->v64 = (double *)locusi_carve(c, tile * locusi_max(net->dhp, net->dp), sizeof(double));
    locusi_sums_carve(c, &w->sums, locusi_max(net->heads * locusi_max(net->r, sab ? tile : 0), net->heads),
                      locusi_max(net->heads * rows, heads),
                      locusi_max(net->heads * locusi_max(net->r, sab ? tile : 0) * net->dhp, net->heads * net->dp));
    if (job->streaming) {
        w->tile.t = locusi_carve_floats(c, 2 * tile, net->dp);
        w->tile.q = locusi_carve_floats(c, 2 * tile, net->hp);
        w->tile.s = locusi_carve_floats(c, 2 * tile, net->heads * net->rp);
        w->tile.v = locusi_carve_floats(c, 2 * tile, net->hp);
    }
    if (worker > 0 && job->by_rows) return; // worker 0's are shared
    w->state.keys = locusi_carve_floats(c, net->layers, net->heads * net->dh * net->rp);
    w->state.values = locusi_carve_floats(c, net->layers, net->r * net->hp);
    if (sab)
        for (i = 0; i < 4; i++) w->sab[i] = locusi_carve_floats(c, job->n, i < 2 ? net->dp : net->hp);
    else if (!job->streaming) w->stored = locusi_carve_floats(c, job->n, net->dp);
}

// Decide path and split from sizes alone, and lay out the workspace (base NULL: count). versions: of the one model in
// evals, whose draws the caller fills in; 0: its models.
LOCUSI_FN void locusi_encode_plan(locusi_job *job, const locus_net *net, const locus_evals *evals, size_t versions,
                                  const locus_encode_opts *opts, size_t threads, locus_encode_path path,
                                  locusi_carver *c)
{
    const int sab = net->info.encoder_kind == LOCUS_SAB;
    size_t i, entries;
    memset(job, 0, sizeof *job);
    job->net = net;
    job->evals = evals;
    job->opts = opts;
    job->n = evals->queries.count;
    job->models = versions ? versions : evals->scores.models;
    job->total = job->models * job->n * (net->layers + 1);
    job->stride = evals->queries.stride ? evals->queries.stride : evals->queries.dim;
    job->streaming = path == LOCUS_ENCODE_STREAMING;
    // Workers take whole models where there are enough to keep all busy, else they share each model's rows.
    job->by_rows = !sab && (job->streaming || (job->models < 4 * threads && job->n >= 2 * LOCUSI_CHUNK));
    job->workers = threads;
    if (sab && job->models < threads) job->workers = job->models;
    if (job->workers > 64) job->workers = 64;
    job->scratch = (locusi_scratch *)locusi_carve(c, job->workers, sizeof(locusi_scratch));
    if (versions) {
        if (!locusi_mul(job->n, versions, &i)) c->failed = 1;
        job->draws = (uint32_t *)locusi_carve(c, i, sizeof(uint32_t));
        job->drawn = (size_t *)locusi_carve(c, versions, sizeof(size_t));
    }
    if (!job->streaming) {
        // a score is one of two kinds only where there is one model and no fraction
        if (!locusi_mul(job->n, evals->scores.models == 1 && evals->scores.u8 ? 1 : 2, &entries)) c->failed = 1;
        for (i = 0; i < 2; i++) job->place[i] = (uint32_t *)locusi_carve(c, job->n, sizeof(uint32_t));
        job->entry_query = (uint32_t *)locusi_carve(c, entries, sizeof(uint32_t));
        job->norms = locusi_carve_floats(c, job->n, 1);
        job->table.t = locusi_carve_floats(c, entries, net->dp);
        if (!sab) {
            job->table.q = locusi_carve_floats(c, entries, net->hp);
            job->table.s = locusi_carve_floats(c, entries, net->heads * net->rp);
            job->table.v = locusi_carve_floats(c, entries, net->hp);
        }
    }
    for (i = 0; i < job->workers; i++) {
        locusi_scratch unused;
        locusi_scratch_carve(c, job, c->base ? &job->scratch[i] : &unused, i);
    }
}

LOCUSI_FN size_t locusi_encode_bytes(const locus_net *net, const locus_evals *evals, const locus_encode_opts *opts,
                                     locus_encode_path *path)
{
    locusi_job job;
    int attempt;
    *path = opts ? opts->path : LOCUS_ENCODE_AUTO;
    for (attempt = 0; attempt < 2; attempt++) {
        const locus_encode_path chosen = *path == LOCUS_ENCODE_AUTO ? LOCUS_ENCODE_FAST : *path;
        locusi_carver c = {NULL, 0, 0};
        size_t bytes;
        locusi_encode_plan(&job, net, evals, 0, opts, locusi_workers(opts ? opts->parallel : NULL), chosen, &c);
        if (c.failed || !locusi_add(c.used, 64, &bytes)) bytes = 0;
        if (*path == LOCUS_ENCODE_AUTO && (bytes == 0 || bytes > (size_t)1 << 30) &&
            net->info.encoder_kind == LOCUS_ISAB) {
            *path = LOCUS_ENCODE_STREAMING;
            continue;
        }
        *path = chosen;
        return bytes;
    }
    return 0;
}

LOCUS_API size_t locus_encode_workspace(const locus_net *net, const locus_evals *evals, const locus_encode_opts *opts)
{
    locus_encode_path path;
    return net && evals && net->info.has_encoder ? locusi_encode_bytes(net, evals, opts, &path) : 0;
}

// 1: some model has a score on the row. What is in the others' encodings is nobody's business.
LOCUSI_FN int locusi_scored(const locus_evals *e, size_t row)
{
    size_t m;
    float y;
    for (m = 0; m < e->scores.models; m++)
        if (locusi_score(e, m, row, &y)) return 1;
    return 0;
}

LOCUSI_FN locus_status locusi_check_evals(const locus_net *net, const locus_evals *e, locus_error *err)
{
    locus_status status = locusi_check_queries(net, &e->queries, err);
    size_t m, i;
    float y;
    if (!status) status = locusi_check_scores(&e->scores, 0, e->queries.count, err);
    if (status) return status;
    for (m = 0; m < e->scores.models; m++) {
        for (i = 0; i < e->queries.count && !locusi_score(e, m, i, &y);) i++;
        if (i == e->queries.count)
            return locusi_fail(err, LOCUS_ERR_EMPTY_SET, "model %z", "at least one evaluation", "none", m);
    }
    return LOCUS_OK;
}

// All used encodings (of job->model when streaming, whose longest is then kept in its place in z), or the error that
// one of them is.
LOCUSI_FN locus_status locusi_check_encodings(locusi_job *job, const locus_parallel *parallel, locus_error *err)
{
    double norm = 0.0;
    size_t i;
    float y;
    job->counter.next = 0;
    job->counter.workers = job->workers;
    locusi_run(parallel, locusi_encode_norms, job, job->workers);
    for (i = 0; job->bad && i < job->n; i++) {
        if (job->streaming ? !locusi_score(job->evals, job->model, i, &y)
                           : job->place[0][i] == UINT32_MAX && job->place[1][i] == UINT32_MAX)
            continue;
        if (locusi_encoding_norm(job->net, locusi_encoding(job, i)) < 0.0)
            return locusi_bad_encoding(locusi_encoding(job, i), job->net->q, i, err);
    }
    if (!job->streaming) return LOCUS_OK;
    for (i = 0; i < job->workers; i++)
        if (job->scratch[i].norm > norm) norm = job->scratch[i].norm;
    job->z[job->model * job->net->d] = (float)(norm * 1.0001); // as the fast path rounds it
    return LOCUS_OK;
}

// Check the encodings; the table that the models share.
LOCUSI_FN locus_status locusi_encode_prepare(locusi_job *job, const locus_parallel *parallel, locus_error *err)
{
    locus_status status = LOCUS_OK;
    job->counter.workers = job->workers;
    if (job->streaming) {
        for (job->model = 0; job->model < job->models && !status; job->model++)
            status = locusi_check_encodings(job, parallel, err);
        return status;
    }
    locusi_encode_places(job);
    if ((status = locusi_check_encodings(job, parallel, err))) return status;
    job->counter.next = 0;
    locusi_run(parallel, locusi_encode_table, job, job->workers);
    return LOCUS_OK;
}

// All passes of all models: z [models, z_dim].
LOCUSI_FN locus_status locusi_encode_passes(locusi_job *job, const locus_parallel *parallel, float *z, locus_error *err)
{
    const locus_net *net = job->net;
    job->z = z;
    job->counter.workers = job->workers;
    if (!job->by_rows) {
        job->counter.next = 0;
        locusi_run(parallel, locusi_encode_models, job, job->workers);
    }
    for (job->model = 0; job->by_rows && job->model < job->models && !job->stop; job->model++) {
        locusi_scratch *first = &job->scratch[0];
        size_t i;
        locusi_model_bound(job, job->model, &first->state);
        for (job->pass = 0; job->pass <= net->layers && !job->stop; job->pass++) {
            job->counter.next = 0;
            locusi_run(parallel, locusi_encode_rows, job, job->workers);
            if (job->stop) break;
            for (i = 1; i < job->workers; i++) locusi_sums_merge(&first->sums, &job->scratch[i].sums);
            if (!(job->pass < net->layers ? locusi_finish_induced(net, job->pass, &first->state, first)
                                          : locusi_finish_pool(net, first, z + job->model * net->d)))
                job->bad = 1;
        }
    }
    if (job->stop) return locusi_fail(err, LOCUS_ERR_CANCELLED, "progress", "", "");
    if (job->bad)
        return locusi_fail(err, LOCUS_ERR_NONFINITE, "embedding", "finite numbers",
                           "an overflow: weights or encodings are absurdly large");
    return LOCUS_OK;
}

LOCUS_API locus_status locus_encode(const locus_net *net, const locus_evals *evals, float *z,
                                    const locus_encode_opts *opts, void *work, size_t work_bytes, locus_error *err)
{
    const locus_parallel *parallel = opts ? opts->parallel : NULL;
    locus_encode_path path;
    locusi_job job;
    locusi_carver c = {NULL, 0, 0};
    locus_status status;
    size_t bytes;
    if (!net || !evals || !z)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", !net ? "net" : !evals ? "evals" : "z");
    if (!net->info.has_encoder)
        return locusi_fail(err, LOCUS_ERR_NO_ENCODER, "net", "a file with the encoder", "the predictor alone");
    if ((status = locusi_check_evals(net, evals, err))) return status;
    if (opts && (opts->path < LOCUS_ENCODE_AUTO || opts->path > LOCUS_ENCODE_STREAMING))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "opts->path", "a locus_encode_path", "%d", (int)opts->path);
    if (opts && opts->path == LOCUS_ENCODE_STREAMING && net->info.encoder_kind == LOCUS_SAB)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "opts->path", "fast: sab attends from every token to every other",
                           "streaming");
    bytes = locusi_encode_bytes(net, evals, opts, &path);
    if (!bytes) return locusi_fail(err, LOCUS_ERR_OVERFLOW, "workspace", "a size that fits", "more");
    if (!work || work_bytes < bytes)
        return locusi_fail(err, LOCUS_ERR_MEMORY, "work", "%z bytes", "%z", bytes, work ? work_bytes : 0);
    c.base = locusi_align(work);
    locusi_encode_plan(&job, net, evals, 0, opts, locusi_workers(parallel), path, &c);
    job.z = z; // where streaming keeps the longest encodings
    if ((status = locusi_encode_prepare(&job, parallel, err))) return status;
    return locusi_encode_passes(&job, parallel, z, err);
}

#endif // LOCUS_INFERENCE_ONLY

// ------------------------------------------------------------------------------------------------------------- >>texts
//
// Files of texts, and the learner of the text encoder (>>text).

// ---- texts from JSON lines: {"text": "...", "id": "...", "category": "..."}

// One line; out[k] <- text, id and category as far as they are there, their characters at *chars.
LOCUSI_FN locus_status locusi_texts_line(const unsigned char *line, size_t bytes, size_t number, const char *out[3],
                                         size_t *length, char **chars, locus_error *err)
{
    static const char *const names[3] = {"text", "id", "category"};
    size_t members = 0, seen[3] = {0, 0, 0}, n, k;
    char what[32], key[12];
    locusi_cursor c;
    memset(&c, 0, sizeof c);
    locusi_text(what, sizeof what, "line %z,", number);
    c.text = line, c.length = bytes, c.what = what, c.err = err;
    out[0] = out[1] = out[2] = NULL;
    *length = 0;
    if (!locusi_utf8_valid(line, bytes))
        return locusi_fail(err, LOCUS_ERR_FORMAT, "line %z", "valid UTF-8", "other bytes", number);
    locusi_expect(&c, "{", "an object");
    while (locusi_more(&c, "}", &members)) {
        const size_t key_length = locusi_json_key(&c, key, sizeof key);
        const unsigned char first = locusi_peek(&c);
        const size_t from = c.at;
        for (k = 0; k < 3 && (key_length >= sizeof key || strcmp(key, names[k]) != 0); k++) {}
        if (c.status) break;
        if (k == 3) {
            locusi_json_skip(&c, 1);
            continue;
        }
        if (seen[k]++)
            return locusi_fail(err, LOCUS_ERR_FORMAT, "line %z, \"%s\"", "it once", "again", number, names[k]);
        if (first != '"' && (k != 1 || (first != '-' && !locusi_is_digit(first))) && (k == 0 || first != 'n'))
            return locusi_fail(err, LOCUS_ERR_FORMAT, "line %z, \"%s\"", "a string", "%s", number, names[k],
                               locusi_json_kind(&c));
        if (first == 'n') {
            locusi_expect(&c, "null", "null");
            continue;
        }
        if (first == '"') {
            n = locusi_json_string(&c, *chars, bytes - from);
        } else {
            locusi_json_scalar(&c);
            n = c.at - from;
            memcpy(*chars, line + from, n);
            (*chars)[n] = 0;
        }
        if (c.status) break;
        if (n == SIZE_MAX)
            return locusi_fail(err, LOCUS_ERR_FORMAT, "line %z", "no NUL in a string", "\\u0000", number);
        out[k] = *chars;
        *chars += n + 1;
        if (k == 0) *length = n;
    }
    locusi_peek(&c);
    if (c.at < bytes) locusi_expected(&c, "white space or the end");
    if (c.status) return c.status;
    if (!out[0] && !out[2]) return locusi_fail(err, LOCUS_ERR_FORMAT, "line %z", "the key \"text\"", "none", number);
    return LOCUS_OK;
}

LOCUS_API locus_status locus_texts_parse(locus_texts *out, const void *data, size_t bytes, locus_error *err)
{
    const unsigned char *const p = (const unsigned char *)data;
    const char **strings[3], *found[3];
    size_t *lengths, i, k, start, end, number, lines = 1, count = 0;
    locus_status status;
    locusi_work w;
    char *chars;
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    memset(out, 0, sizeof *out);
    if (!data && bytes) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "data", "a pointer", "NULL");
    for (i = 0; i < bytes; i++) lines += p[i] == '\n';
    locusi_work_begin(&w, NULL);
    lengths = (size_t *)locusi_take(&w, lines, sizeof *lengths);
    for (k = 0; k < 3; k++) strings[k] = (const char **)locusi_take(&w, lines, sizeof *strings[k]);
    chars = (char *)locusi_take(&w, bytes, 1); // unescaping never lengthens, and the quotes leave place for the ends
    status = locusi_work_short(&w, err);
    start = bytes >= 3 && p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf ? 3 : 0;
    for (number = 1; start < bytes && !status; start = end + 1, number++) {
        for (end = start; end < bytes && p[end] != '\n'; end++) {}
        for (i = start; i < end && locusi_is_space(p[i]); i++) {}
        if (i == end) continue; // an empty line
        status = locusi_texts_line(p + start, end - start, number, found, &lengths[count], &chars, err);
        for (k = 0; k < 3; k++) strings[k][count] = found[k] || k == 0 ? found[k] : "";
        count++;
    }
    if (status) {
        locusi_work_end(&w);
        return status;
    }
    out->count = count;
    out->texts = strings[0];
    out->ids = strings[1];
    out->categories = strings[2];
    out->bytes = lengths;
    out->owned = w.blocks;
    return LOCUS_OK;
}

#ifndef LOCUS_NO_STDIO
LOCUS_API locus_status locus_texts_open(locus_texts *out, const char *path, locus_error *err)
{
    locus_file file;
    locus_status status;
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    memset(out, 0, sizeof *out);
    if ((status = locusi_file_open(&file, path, err))) return status;
    status = locus_texts_parse(out, file.data, file.bytes, err);
    locusi_file_close(&file);
    return status;
}
#endif

LOCUS_API void locus_texts_close(locus_texts *texts)
{
    if (!texts) return;
    locusi_blocks_free((locusi_block *)texts->owned);
    memset(texts, 0, sizeof *texts);
}

#ifndef LOCUS_NO_TRAIN
// ---- the text encoder's table, learned
//
// Rows: of the tokens, pairs and shapes that at least two texts have, those in most texts; then of the grams of words
// without a row likewise, a sixth of the table. Latent semantic analysis: F [texts, rows] holds each text's features
// once, weighted with ln((1 + texts) / (1 + texts that have it)) + 1, grams with half of that, shapes with 0.3 times
// the factor of >>text, each text scaled to length 1. Its right singular vectors V come from subspace iteration:
// orthonormalise F^T F V a few times, then rotate to the singular directions by the eigenvectors of (F V)^T (F V). The
// first, which is nearly the same for all texts, is dropped; the others are scaled by the fourth root of their singular
// value, each row by its feature's weight, and rounded to bytes with one 16-bit weight for each row.
// (What was tried: binary counts beat logarithms and square roots; numbers by their length and punctuation matter,
// grams of all words hurt; whitening more or less, 64 to 256 dimensions and 4,096 to 16,384 rows are within noise.)

typedef struct locusi_text_learn {
    const char *const *texts;
    const size_t *bytes;
    size_t count, most, rows, dim, k, kp; // most: room for rows; k: columns worked on, kp: padded
    const locus_parallel *parallel;
    const locusi_kernels *kernels;
    uint32_t *list, *spare; // features of all texts, a text's begin at first[text]
    size_t *first, *column; // [count + 1], [most + 1]; texts of a row: spare from column[row] on
    size_t listed, hits;
    uint32_t *keys, *df;    // [most]
    unsigned char *kind;    // [most]
    float *weight, *scale;  // [most]; [count, 2]: of other features and of shapes
    float *z, *y;           // [most, kp], [count, kp]
    double *gram, *vectors; // [k, k]
    double *values;         // [k]
    size_t *order;          // [k]
    unsigned char seen[8192];
    locusi_counter counter;
} locusi_text_learn;

LOCUSI_FN size_t locusi_text_length(const locusi_text_learn *l, size_t i)
{
    return l->bytes ? l->bytes[i] : strlen(l->texts[i]);
}

LOCUSI_FN int locusi_text_sink_count(void *user, uint32_t key, int kind)
{
    (void)key, (void)kind;
    (*(size_t *)user)++;
    return 0;
}

LOCUSI_FN int locusi_text_sink_common(void *user, uint32_t key, int kind) // all but grams
{
    locusi_text_learn *l = (locusi_text_learn *)user;
    (void)kind;
    l->list[l->listed++] = key;
    return 1;
}

LOCUSI_FN int locusi_text_sink_grams(void *user, uint32_t key, int kind)
{
    locusi_text_learn *l = (locusi_text_learn *)user;
    if (kind == LOCUSI_GRAM) l->list[l->listed++] = key;
    return kind == LOCUSI_TOKEN && locusi_text_find(l->keys, l->rows, key) < l->rows;
}

LOCUSI_FN int locusi_text_sink_rows(void *user, uint32_t key, int kind)
{
    locusi_text_learn *l = (locusi_text_learn *)user;
    const size_t row = locusi_text_find(l->keys, l->rows, key);
    if (row == l->rows) return 0;
    if (l->seen[row / 8] >> row % 8 & 1) return 1;
    l->seen[row / 8] = (unsigned char)(l->seen[row / 8] | 1u << row % 8);
    l->list[l->listed++] = (uint32_t)row;
    l->hits += kind != LOCUSI_SHAPE;
    l->kind[row] = (unsigned char)kind;
    l->df[row]++;
    return 1;
}

LOCUSI_FN int locusi_u32_order(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

LOCUSI_FN int locusi_u64_order(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Sort n keys by their bytes, four passes: the result is where it began.
LOCUSI_FN void locusi_text_sort(uint32_t *keys, uint32_t *spare, size_t n)
{
    unsigned shift;
    for (shift = 0; shift < 32; shift += 8) {
        size_t count[257] = {0}, i;
        uint32_t *const swap = keys;
        for (i = 0; i < n; i++) count[1 + (keys[i] >> shift & 255)]++;
        for (i = 1; i < 257; i++) count[i] += count[i - 1];
        for (i = 0; i < n; i++) spare[count[keys[i] >> shift & 255]++] = keys[i];
        keys = spare;
        spare = swap;
    }
}

// Append to the keys the features of the sink that are in most texts, at most `room`.
LOCUSI_FN void locusi_text_select(locusi_text_learn *l, int (*sink)(void *user, uint32_t key, int kind), size_t room)
{
    uint64_t *runs = (uint64_t *)(void *)l->spare; // a run takes two places and stands for at least two
    size_t text, i, n, run, found = 0;
    l->listed = 0;
    for (text = 0; text < l->count; text++) { // each once in a text
        const size_t from = l->listed;
        locusi_text_features(l->texts[text], locusi_text_length(l, text), sink, l);
        n = l->listed - from;
        locusi_sort(l->list + from, n, sizeof *l->list, locusi_u32_order);
        l->listed = from;
        for (i = 0; i < n; i++)
            if (i == 0 || l->list[from + i] != l->list[l->listed - 1]) l->list[l->listed++] = l->list[from + i];
    }
    locusi_text_sort(l->list, l->spare, l->listed);
    for (i = 0; i < l->listed; i += run) {
        for (run = 1; i + run < l->listed && l->list[i + run] == l->list[i]; run++) {}
        if (run > 1) runs[found++] = (uint64_t)run << 32 | (l->list[i] ^ 0xffffffffu); // equals: the lower key first
    }
    locusi_sort(runs, found, sizeof *runs, locusi_u64_order);
    for (; room && found; room--) l->keys[l->rows++] = (uint32_t)runs[--found] ^ 0xffffffffu;
    locusi_sort(l->keys, l->rows, sizeof *l->keys, locusi_u32_order);
    for (i = n = 0; i < l->rows; i++) // a gram may have the key of a token
        if (i == 0 || l->keys[i] != l->keys[n - 1]) l->keys[n++] = l->keys[i];
    l->rows = n;
}

// F by texts and by rows, weights and scales.
LOCUSI_FN void locusi_text_matrix(locusi_text_learn *l)
{
    size_t text, i, row;
    l->listed = 0;
    memset(l->df, 0, l->rows * sizeof *l->df);
    for (text = 0; text < l->count; text++) {
        l->first[text] = l->listed;
        l->hits = 0;
        memset(l->seen, 0, sizeof l->seen);
        locusi_text_features(l->texts[text], locusi_text_length(l, text), locusi_text_sink_rows, l);
        l->scale[2 * text + 1] = (float)locusi_text_root(l->hits + 1);
    }
    l->first[text] = l->listed;
    for (row = i = 0; row < l->rows; row++) {
        const double rarity = log((1.0 + (double)l->count) / (1.0 + (double)l->df[row])) + 1.0;
        l->weight[row] =
            l->kind[row] == LOCUSI_SHAPE ? 0.3f : (float)(l->kind[row] == LOCUSI_GRAM ? rarity / 2 : rarity);
        l->column[row] = i;
        i += l->df[row];
    }
    for (text = 0; text < l->count; text++) {
        double squares = 0.0;
        for (i = l->first[text]; i < l->first[text + 1]; i++) {
            const uint32_t r = l->list[i];
            const double v = (double)l->weight[r] * (l->kind[r] == LOCUSI_SHAPE ? (double)l->scale[2 * text + 1] : 1.0);
            squares += v * v;
            l->spare[l->column[r]++] = (uint32_t)text;
        }
        l->scale[2 * text] = squares > 0.0 ? (float)(1.0 / sqrt(squares)) : 0.0f;
        l->scale[2 * text + 1] *= l->scale[2 * text];
    }
    for (row = l->rows; row-- > 0;) l->column[row + 1] = l->column[row];
    l->column[0] = 0;
}

enum { LOCUSI_TEXT_TASK = 64 };

LOCUSI_FN void locusi_text_forward(void *arg, size_t worker) // y <- F z
{
    locusi_text_learn *l = (locusi_text_learn *)arg;
    size_t mine = 0, task, text, i;
    while ((task = locusi_next(&l->counter, worker, &mine) * LOCUSI_TEXT_TASK) < l->count)
        for (text = task; text < l->count && text < task + LOCUSI_TEXT_TASK; text++) {
            float *y = l->y + text * l->kp;
            memset(y, 0, l->kp * sizeof *y);
            for (i = l->first[text]; i < l->first[text + 1]; i++) {
                const size_t row = l->list[i];
                const float scale = l->scale[2 * text + (l->kind[row] == LOCUSI_SHAPE)];
                l->kernels->axpy(l->weight[row] * scale, l->z + row * l->kp, y, l->kp);
            }
        }
}

LOCUSI_FN void locusi_text_backward(void *arg, size_t worker) // z <- F^T y
{
    locusi_text_learn *l = (locusi_text_learn *)arg;
    size_t mine = 0, task, row, i;
    while ((task = locusi_next(&l->counter, worker, &mine) * LOCUSI_TEXT_TASK) < l->rows)
        for (row = task; row < l->rows && row < task + LOCUSI_TEXT_TASK; row++) {
            float *z = l->z + row * l->kp;
            memset(z, 0, l->kp * sizeof *z);
            for (i = l->column[row]; i < l->column[row + 1]; i++) {
                const size_t text = l->spare[i];
                const float scale = l->scale[2 * text + (l->kind[row] == LOCUSI_SHAPE)];
                l->kernels->axpy(l->weight[row] * scale, l->y + text * l->kp, z, l->kp);
            }
        }
}

LOCUSI_FN void locusi_text_run(locusi_text_learn *l, void (*task)(void *arg, size_t worker))
{
    const size_t workers = locusi_workers(l->parallel);
    l->counter.next = 0;
    l->counter.workers = workers;
    locusi_run(l->parallel, task, l, workers);
}

// gram <- x^T x of x [n, kp]: its upper triangle.
LOCUSI_FN void locusi_text_gram(locusi_text_learn *l, const float *x, size_t n)
{
    const size_t k = l->k;
    size_t r, i, j;
    memset(l->gram, 0, k * k * sizeof *l->gram);
    for (r = 0; r < n; r++, x += l->kp)
        for (i = 0; i < k; i++) {
            const double a = (double)x[i];
            double *g = l->gram + i * k;
            for (j = i; j < k; j++) g[j] += a * (double)x[j];
        }
}

// z <- z R^-1 with R^T R = z^T z (Cholesky). A column that depends on those before it becomes 0.
LOCUSI_FN void locusi_text_orthonormal(locusi_text_learn *l)
{
    const size_t k = l->k;
    double *g = l->gram, *x = l->values;
    size_t i, j, r;
    locusi_text_gram(l, l->z, l->rows);
    for (i = 0; i < k; i++) {
        const double before = g[i * k + i];
        double pivot = before;
        for (r = 0; r < i; r++) pivot -= g[r * k + i] * g[r * k + i];
        pivot = pivot > 1e-10 * before ? sqrt(pivot) : 0.0;
        g[i * k + i] = pivot > 0.0 ? 1.0 / pivot : 0.0;
        for (j = i + 1; j < k; j++) {
            double sum = g[i * k + j];
            for (r = 0; r < i; r++) sum -= g[r * k + i] * g[r * k + j];
            g[i * k + j] = sum * g[i * k + i];
        }
    }
    for (r = 0; r < l->rows; r++) {
        float *z = l->z + r * l->kp;
        for (i = 0; i < k; i++) x[i] = (double)z[i];
        for (i = 0; i < k; i++) {
            x[i] *= g[i * k + i];
            for (j = i + 1; j < k; j++) x[j] -= x[i] * g[i * k + j];
            z[i] = (float)x[i];
        }
    }
}

// Eigenvalues and eigenvectors (columns) of gram, by Jacobi's rotations.
LOCUSI_FN void locusi_text_eigen(locusi_text_learn *l)
{
    const size_t k = l->k;
    double *a = l->gram, *v = l->vectors;
    size_t i, j, r, sweep;
    for (i = 0; i < k; i++)
        for (j = 0; j < k; j++) {
            v[i * k + j] = i == j ? 1.0 : 0.0;
            if (j < i) a[i * k + j] = a[j * k + i];
        }
    for (sweep = 0; sweep < 30; sweep++) {
        double off = 0.0, on = 0.0;
        for (i = 0; i < k; i++)
            for (j = 0; j < k; j++) *(i == j ? &on : &off) += a[i * k + j] * a[i * k + j];
        if (off <= 1e-20 * on) break;
        for (i = 0; i < k; i++)
            for (j = i + 1; j < k; j++) {
                const double apq = a[i * k + j];
                double theta, t, c, s;
                if (fabs(apq) < 1e-300) continue;
                theta = (a[j * k + j] - a[i * k + i]) / (2.0 * apq);
                t = (theta < 0.0 ? -1.0 : 1.0) / (fabs(theta) + sqrt(theta * theta + 1.0));
                c = 1.0 / sqrt(t * t + 1.0);
                s = t * c;
                for (r = 0; r < k; r++) { // rows i and j, then columns
                    const double x = a[i * k + r], y = a[j * k + r];
                    a[i * k + r] = c * x - s * y;
                    a[j * k + r] = s * x + c * y;
                }
                for (r = 0; r < k; r++) {
                    const double x = a[r * k + i], y = a[r * k + j], p = v[r * k + i], q = v[r * k + j];
                    a[r * k + i] = c * x - s * y;
                    a[r * k + j] = s * x + c * y;
                    v[r * k + i] = c * p - s * q;
                    v[r * k + j] = s * p + c * q;
                }
            }
    }
    for (i = 0; i < k; i++) { // in descending order
        l->values[i] = a[i * k + i];
        for (j = i; j > 0 && l->values[l->order[j - 1]] < l->values[i]; j--) l->order[j] = l->order[j - 1];
        l->order[j] = i;
    }
}

// One row of the result, unrounded.
LOCUSI_FN void locusi_text_row(const locusi_text_learn *l, size_t row, double *out)
{
    size_t d, i;
    for (d = 0; d < l->dim; d++) {
        const size_t from = d + 1 < l->k ? l->order[d + 1] : 0;
        const double value = d + 1 < l->k ? l->values[from] : 0.0;
        double sum = 0.0;
        if (value > 0.0)
            for (i = 0; i < l->k; i++) sum += (double)l->z[row * l->kp + i] * l->vectors[i * l->k + from];
        out[d] = value > 0.0 ? sum * (double)l->weight[row] * sqrt(sqrt(sqrt(value))) : 0.0;
    }
}

LOCUSI_FN void locusi_text_round(const locusi_text_learn *l, uint16_t *weights, signed char *table)
{
    double row[LOCUS_TEXT_MAX_DIM], sign[LOCUS_TEXT_MAX_DIM] = {0.0}, most = 0.0, unit;
    size_t r, d, pass;
    for (pass = 0; pass < 2; pass++) {
        unit = most > 0.0 ? most / (65535.0 * 127.0) : 1.0;
        for (r = 0; r < l->rows; r++) {
            double here = 0.0;
            locusi_text_row(l, r, row);
            for (d = 0; d < l->dim; d++) here = fabs(row[d]) > here ? fabs(row[d]) : here;
            if (pass == 0) {
                most = here > most ? here : most;
                for (d = 0; d < l->dim; d++) sign[d] += row[d]; // the sign of a direction is free: this fixes it
                continue;
            }
            weights[r] = (uint16_t)(here / (unit * 127.0) + 0.5);
            for (d = 0; d < l->dim; d++) {
                const double x = weights[r] ? (sign[d] < 0.0 ? -row[d] : row[d]) / (unit * weights[r]) : 0.0;
                table[r * l->dim + d] = (signed char)(x > 127.0 ? 127 : x < -127.0 ? -127 : (int)floor(x + 0.5));
            }
        }
    }
}

LOCUSI_FN void locusi_text_carve(locusi_carver *c, locusi_text_learn *l, size_t features)
{
    l->list = (uint32_t *)locusi_carve(c, features, sizeof(uint32_t));
    l->spare = (uint32_t *)locusi_carve(c, features, sizeof(uint32_t));
    l->first = (size_t *)locusi_carve(c, l->count + 1, sizeof(size_t));
    l->column = (size_t *)locusi_carve(c, l->most + 1, sizeof(size_t));
    l->keys = (uint32_t *)locusi_carve(c, l->most, sizeof(uint32_t));
    l->df = (uint32_t *)locusi_carve(c, l->most, sizeof(uint32_t));
    l->kind = (unsigned char *)locusi_carve(c, l->most, 1);
    l->weight = locusi_carve_floats(c, l->most, 1);
    l->scale = locusi_carve_floats(c, l->count, 2);
    l->z = locusi_carve_floats(c, l->most, l->kp);
    l->y = locusi_carve_floats(c, l->count, l->kp);
    l->gram = (double *)locusi_carve(c, l->k * l->k, sizeof(double));
    l->vectors = (double *)locusi_carve(c, l->k * l->k, sizeof(double));
    l->values = (double *)locusi_carve(c, l->k, sizeof(double));
    l->order = (size_t *)locusi_carve(c, l->k, sizeof(size_t));
}

LOCUSI_FN locus_status locusi_text_result(locus_text **out, const locusi_text_learn *l, locus_error *err)
{
    locusi_carver c = {NULL, 0, 0};
    locus_text *t = NULL;
    uint16_t *weights = NULL;
    uint32_t *keys = NULL;
    signed char *table = NULL;
    int attempt;
    for (attempt = 0; attempt < 2; attempt++) {
        c.used = 0;
        t = (locus_text *)locusi_carve(&c, 1, sizeof *t);
        keys = (uint32_t *)locusi_carve(&c, l->rows, sizeof *keys);
        weights = (uint16_t *)locusi_carve(&c, l->rows, sizeof *weights);
        table = (signed char *)locusi_carve(&c, l->rows, l->dim);
        if (!attempt && (c.failed || !(c.base = (unsigned char *)LOCUS_MALLOC(c.used))))
            return locusi_fail(err, LOCUS_ERR_MEMORY, "text encoder", "%z bytes", "none", c.used);
    }
    memcpy(keys, l->keys, l->rows * sizeof *keys);
    locusi_text_round(l, weights, table);
    t->dim = l->dim;
    t->rows = l->rows;
    t->keys = keys;
    t->weights = weights;
    t->table = table;
    *out = t;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_text_train(locus_text **out, const char *const *texts, const size_t *bytes, size_t count,
                                        const locus_text_train_opts *opts, locus_error *err)
{
    const size_t iterations = opts && opts->iterations ? opts->iterations : 4;
    const size_t steps = 2 * iterations + 4;
    locusi_text_learn l;
    locusi_carver c = {NULL, 0, 0};
    locus_status status = LOCUS_OK;
    size_t i, total, features = 0, isa = LOCUS_ISA_COUNT;
    void *block;
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    *out = NULL;
    memset(&l, 0, sizeof l);
    l.dim = opts && opts->dim ? opts->dim : 128;
    l.most = opts && opts->rows ? opts->rows : 12288;
    l.parallel = opts ? opts->parallel : NULL;
    l.texts = texts;
    l.bytes = bytes;
    l.count = count;
    if (!texts && count) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "texts", "an array", "NULL");
    if (l.dim > LOCUS_TEXT_MAX_DIM)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "opts->dim", "at most %z", "%z", (size_t)LOCUS_TEXT_MAX_DIM, l.dim);
    if (l.most > LOCUS_TEXT_MAX_ROWS)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "opts->rows", "at most %z", "%z", (size_t)LOCUS_TEXT_MAX_ROWS,
                           l.most);
    if (count > 0x7fffffff) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "count", "below 2^31", "%z", count);
    for (i = 0; i < count; i++) {
        if (!texts[i] && (!bytes || bytes[i]))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "texts[%z]", "a pointer", "NULL", i);
        total = features;
        locusi_text_features(texts[i], locusi_text_length(&l, i), locusi_text_sink_count, &features);
        if (features < total) return locusi_fail(err, LOCUS_ERR_OVERFLOW, "texts", "fewer", "more");
    }
    do isa--;
    while (!locus_isa_supported((locus_isa)isa));
    l.kernels = locusi_kernels_for((locus_isa)isa);
    l.k = l.dim + 9; // the first is dropped, eight more make the others settle sooner
    l.kp = locusi_pad(l.k);
    locusi_text_carve(&c, &l, features);
    if (c.failed || !locusi_add(c.used, 64, &total))
        return locusi_fail(err, LOCUS_ERR_OVERFLOW, "texts", "a size that fits the address space", "more");
    block = LOCUS_MALLOC(total);
    if (!block) return locusi_fail(err, LOCUS_ERR_MEMORY, "texts", "%z bytes", "none", total);
    c.base = locusi_align(block);
    c.used = 0;
    locusi_text_carve(&c, &l, features);
    for (i = 0; i < steps && !status; i++) {
        if (opts && opts->progress && opts->progress(opts->user, i, steps)) {
            status = locusi_fail(err, LOCUS_ERR_CANCELLED, "step %z", "", "", i);
            break;
        }
        if (i == 0) {
            locusi_text_select(&l, locusi_text_sink_common, l.most - l.most / 6);
        } else if (i == 1) {
            locusi_text_select(&l, locusi_text_sink_grams, l.most / 6);
            if (l.rows == 0)
                status = locusi_fail(err, LOCUS_ERR_ARGUMENT, "texts", "two that have a word or their shape in common",
                                     "none of %z", count);
        } else if (i == 2) {
            locusi_text_matrix(&l);
            for (total = 0; total < l.rows * l.kp; total++) {
                const uint64_t h = locusi_mix((opts ? opts->seed : 0) + (total + 1) * 0x9e3779b97f4a7c15u);
                l.z[total] = total % l.kp < l.k ? (float)(h >> 40) * 1.1920929e-7f - 1.0f : 0.0f; // in [-1, 1)
            }
        } else if (i == steps - 1) { // (F z)^T (F z)
            locusi_text_run(&l, locusi_text_forward);
            locusi_text_gram(&l, l.y, l.count);
            locusi_text_eigen(&l);
        } else if (i % 2) {
            locusi_text_run(&l, locusi_text_forward);
        } else {
            locusi_text_run(&l, locusi_text_backward);
            locusi_text_orthonormal(&l);
        }
    }
    if (!status) status = locusi_text_result(out, &l, err);
    if (!status && opts && opts->progress) opts->progress(opts->user, steps, steps);
    LOCUS_FREE(block);
    return status;
}

LOCUS_API void locus_text_destroy(locus_text *encoder)
{
    if (encoder) LOCUS_FREE(encoder);
}

LOCUS_API locus_status locus_text_tensors(const locus_text *encoder, locus_tensor tensors[3], size_t *count,
                                          void *scratch, size_t scratch_bytes, locus_error *err)
{
    static const char *const names[3] = {"text.keys", "text.weights", "text.table"};
    static const char *const types[3] = {"U32", "U16", "I8"};
    const locus_status status = locusi_text_check(encoder, err);
    unsigned char *keys = (unsigned char *)scratch;
    size_t i;
    if (status) return status;
    if (!tensors || !count) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "tensors, count", "pointers", "NULL");
    *count = 0;
    if (encoder->rows == 0) return LOCUS_OK;
    if (!scratch || scratch_bytes / 6 < encoder->rows)
        return locusi_fail(err, LOCUS_ERR_MEMORY, "scratch", "%z bytes", "%z", 6 * encoder->rows,
                           scratch ? scratch_bytes : 0);
    locusi_copy_le(keys, encoder->keys, encoder->rows, 4);
    locusi_copy_le(keys + 4 * encoder->rows, encoder->weights, encoder->rows, 2);
    for (i = 0; i < 3; i++) {
        memset(&tensors[i], 0, sizeof tensors[i]);
        tensors[i].name = names[i];
        tensors[i].dtype = LOCUS_DTYPE_OTHER;
        tensors[i].dtype_name = types[i];
        tensors[i].rank = i == 2 ? 2 : 1;
        tensors[i].shape[0] = encoder->rows;
        tensors[i].shape[1] = i == 2 ? encoder->dim : 1;
    }
    tensors[0].data = keys;
    tensors[1].data = keys + 4 * encoder->rows;
    tensors[2].data = encoder->table;
    *count = 3;
    return LOCUS_OK;
}
#endif // LOCUS_NO_TRAIN

// --------------------------------------------------------------------------------------------------------- >>recall
//
// What happened on the evaluated queries near a query: regression by a Gaussian process in two levels. With a model's
// mean score mu_m and sd_m^2 = mu_m (1 - mu_m), a score is
//
//     y = mu_m + sd_m (t(q) + h_m(q) + noise),    t(q) = f(q) + item(q)
//
// f: the difficulty that the encoding tells, shared by all models and so known M times better than h_m, what sets one
// model apart. item: what is odd about a query beyond its encoding; known only where it was asked. The memory's chance
// of a right answer is mu_m + sd_m (f + h_m).
//
// Its scales come from the pool. How far means differ, and the variances of item and noise, are moments. Two ratios,
// f's variance to the item's and h_m's to the noise's, are those of highest evidence (restricted maximum likelihood:
// the mean is unknown, too), averaged over their posterior; before any evaluation they are held to be 2/3 and 1/10,
// within a factor of two. From some 256 evaluations on the evidence decides.
//
// A model that comes later is known less, so its prior is sharper: the pool's own h_m say in which directions models
// differ (one step of EM for the covariance of all h_m, kept as its largest principal components and a rest that is
// alike in all directions).
//
// Beside that the memory keeps, for each evaluated query, how it answers to ability: logit P(right) = slope * ability +
// intercept, fitted to the pool (two-parameter logistic item response; Birnbaum 1968), the intercept drawn to what the
// encoding tells and the slope to 1. Unlike a mean, that holds for any choice of queries, however skewed: see >>next.
//
// Kernel: (1 + x.x' + e + e^3) / 3 with e = exp(-|x - x'|^2), x the encoding's first principal components, component k
// scaled by its variance^0.15, all so that the mean |x|^2 is 1: a constant, a plane and two widths, so that no width
// has to be chosen. f and h_m are combinations of the kernels of P landmarks, chosen among the encodings at hand
// (Nystroem's approximation), so a model is one row of P numbers and a query costs P kernels once and P multiply-adds
// for each model.
//
// Files of versions 0.2 and 0.3 hold another kind: its rows give logits, without the 1 in the kernel, and all of its
// scales are constants.

#define LOCUSI_RECALL_RANK ((size_t)128)
#define LOCUSI_RECALL_LANDMARKS ((size_t)512)
#define LOCUSI_RECALL_DIRECTIONS ((size_t)32)
#define LOCUSI_RECALL_TENSORS ((size_t)12)
#define LOCUSI_RECALL_SCALARS ((size_t)6)

#define LOCUSI_RECALL_WEIGHT 0.8 // of its logit beside a net's, where the net does not say what suits it

#define LOCUSI_RATIO_SHARED (2.0 / 3.0) // prior centres of f to item, and of h_m to noise,
#define LOCUSI_RATIO_OWN 0.1
#define LOCUSI_RATIO_SPREAD 0.3 // and the deviation of their decimal logarithms
#define LOCUSI_SD_SLOPE 0.3     // prior deviation of a query's log slope,
#define LOCUSI_SD_INTERCEPT 2.0 // and of its intercept from the encoding's

typedef struct locusi_recall {
    size_t rank, landmarks, seen, q; // multiples of 16 (q: of the encodings, as it is)
    size_t directions;
    float weight;           // of the memory's logit; the net's has 1 - weight
    int logits;             // 1: rows give logits (files before 0.4), 0: chances
    double mean, pull;      // of the models' means; what holds a new model's to it, in evaluations
    double own, noise;      // variances in units of sd^2
    double rest;            // share of `own` that is alike in all directions
    double ratio[2];        // of signal to noise, shared and own, as learned here; 0: not known (they are in no file)
    double ability, spread; // mean and deviation of the models' abilities; spread 0: there are no items
    float *map, *map_bias;  // packed [q -> rank], [rank]: encoding -> x
    float *landmark, *half; // packed [rank -> landmarks], [landmarks]: |x|^2 / 2
    float *points;          // [landmarks, rank] the same as rows
    float *shared;          // [landmarks] f
    float *direction;       // [directions, landmarks] functions of variance 1 whose sum is the rest of the prior of h_m
    uint64_t *known;        // [seen] sorted hashes of the evaluated queries' encodings ...
    float *difficulty;      // [seen] ... and their t
    float *items;           // [seen, 2] ... and their slopes and intercepts
    float *features;        // while learning: packed [landmarks -> landmarks], kernels -> features whose prior is the
                            // identity; also takes weights of features to weights of kernels
    double *factor, *spare; // while learning: [landmarks, landmarks], L with L L^T the landmarks' kernels; scratch
} locusi_recall;

LOCUSI_FN double locusi_clamp(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

LOCUSI_FN uint64_t locusi_encoding_hash(const float *q, size_t n)
{
    uint64_t h = n;
    size_t i;
    for (i = 0; i < n; i++) h = locusi_mix(h ^ locusi_f32_bits(q[i] + 0.0f));
    return h;
}

LOCUSI_FN void locusi_recall_carve_learning(locusi_recall *m, locusi_carver *c)
{
    m->features = locusi_carve_floats(c, m->landmarks, m->landmarks);
    m->factor = (double *)locusi_carve(c, m->landmarks * m->landmarks, sizeof(double));
    m->spare = (double *)locusi_carve(c, m->landmarks * m->landmarks, sizeof(double));
}

LOCUSI_FN void locusi_recall_carve(locusi_recall *m, locusi_carver *c, int learning)
{
    const size_t p = m->landmarks, r = m->rank;
    m->map = locusi_carve_floats(c, r, m->q);
    m->map_bias = locusi_carve_floats(c, r, 1);
    m->landmark = locusi_carve_floats(c, p, r);
    m->half = locusi_carve_floats(c, p, 1);
    m->points = locusi_carve_floats(c, p, r);
    m->shared = locusi_carve_floats(c, p, 1);
    m->direction = locusi_carve_floats(c, m->directions, p);
    m->known = (uint64_t *)locusi_carve(c, m->seen, sizeof(uint64_t));
    m->difficulty = locusi_carve_floats(c, m->seen, 1);
    m->items = locusi_carve_floats(c, m->seen, 2);
    if (!learning) return;
    locusi_recall_carve_learning(m, c);
}

// features [n, landmarks] <- kernels of n encodings with the landmarks; x [n, rank] is scratch
LOCUSI_FN void locusi_recall_kernels(const locusi_recall *m, const locusi_kernels *k, const float *q, size_t ldq,
                                     size_t n, float *x, float *features)
{
    size_t i;
    locusi_matmul_run(k, q, ldq, n, m->q, m->map, m->rank, x, m->rank, m->map_bias, NULL, 0, 0);
    locusi_matmul_run(k, x, m->rank, n, m->rank, m->landmark, m->landmarks, features, m->landmarks, NULL, NULL, 0, 0);
    for (i = 0; i < n; i++)
        k->kernel(features + i * m->landmarks, m->half, 0.5f * k->square(x + i * m->rank, m->rank), m->landmarks);
}

// The numbers and arrays that a pool keeps, into a memory of the same sizes; its landmarks have yet to be packed.
LOCUSI_FN void locusi_recall_copy(locusi_recall *to, const locusi_recall *from)
{
    const size_t p = from->landmarks;
    to->logits = from->logits;
    to->mean = from->mean;
    to->pull = from->pull;
    to->own = from->own;
    to->noise = from->noise;
    to->rest = from->rest;
    memcpy(to->ratio, from->ratio, sizeof to->ratio);
    to->ability = from->ability;
    to->spread = from->spread;
    memcpy(to->map, from->map, from->rank * from->q * sizeof(float));
    memcpy(to->map_bias, from->map_bias, from->rank * sizeof(float));
    memcpy(to->points, from->points, p * from->rank * sizeof(float));
    memcpy(to->shared, from->shared, p * sizeof(float));
    memcpy(to->direction, from->direction, from->directions * p * sizeof(float));
    memcpy(to->known, from->known, from->seen * sizeof(uint64_t));
    memcpy(to->difficulty, from->difficulty, from->seen * sizeof(float));
    memcpy(to->items, from->items, 2 * from->seen * sizeof(float));
}

// From the landmarks as points: the same packed, and half their squared lengths.
LOCUSI_FN void locusi_recall_pack(locusi_recall *m, const locusi_kernels *k)
{
    const size_t r = m->rank;
    size_t i, c;
    for (i = 0; i < m->landmarks; i++) {
        m->half[i] = 0.5f * k->square(m->points + i * r, r);
        for (c = 0; c < r; c++) m->landmark[locusi_packed(i, c, r)] = m->points[i * r + c];
    }
}

#ifndef LOCUS_INFERENCE_ONLY
// ---- linear algebra, small and in double

// a [n, n] (lower triangle) <- L with L L^T = a; 0 if a is not positive definite
LOCUSI_FN int locusi_cholesky(double *a, size_t n)
{
    size_t i, j, k;
    for (i = 0; i < n; i++) {
        double *row = a + i * n;
        for (j = 0; j <= i; j++) {
            const double *other = a + j * n;
            double s0 = row[j], s1 = 0.0, s2 = 0.0, s3 = 0.0;
            for (k = 0; k + 4 <= j; k += 4) {
                s0 -= row[k] * other[k];
                s1 -= row[k + 1] * other[k + 1];
                s2 -= row[k + 2] * other[k + 2];
                s3 -= row[k + 3] * other[k + 3];
            }
            for (; k < j; k++) s0 -= row[k] * other[k];
            s0 += s1 + s2 + s3;
            if (j < i) row[j] = s0 / other[j];
            else if (!(s0 > 0.0)) return 0;
            else row[i] = sqrt(s0);
        }
    }
    return 1;
}

// x <- L^-1 x, and x <- L^-T x
LOCUSI_FN void locusi_solve_lower(const double *l, size_t n, double *x)
{
    size_t i, k;
    for (i = 0; i < n; i++) {
        double s = x[i];
        for (k = 0; k < i; k++) s -= l[i * n + k] * x[k];
        x[i] = s / l[i * n + i];
    }
}

LOCUSI_FN void locusi_solve_upper(const double *l, size_t n, double *x)
{
    size_t i, k;
    for (i = n; i-- > 0;) {
        const double v = x[i] / l[i * n + i];
        x[i] = v;
        for (k = 0; k < i; k++) x[k] -= l[i * n + k] * v;
    }
}

// Eigenvectors of a symmetric a [n, n] by Jacobi's rotations: a becomes diagonal, v's columns the vectors.
LOCUSI_FN void locusi_jacobi(double *a, double *v, size_t n)
{
    size_t i, j, k, sweep;
    for (i = 0; i < n * n; i++) v[i] = i % (n + 1) ? 0.0 : 1.0;
    for (sweep = 0; sweep < 30; sweep++) {
        double off = 0.0, on = 0.0;
        for (i = 0; i < n; i++)
            for (j = 0; j < n; j++) *(i == j ? &on : &off) += a[i * n + j] * a[i * n + j];
        if (off <= 1e-24 * on) break;
        for (i = 0; i < n; i++)
            for (j = i + 1; j < n; j++) {
                const double x = a[i * n + j], y = (a[j * n + j] - a[i * n + i]) / 2.0;
                double t, c, s;
                if (fabs(x) < 1e-300) continue;
                t = x / (fabs(y) + sqrt(y * y + x * x));
                if (y < 0.0) t = -t;
                c = 1.0 / sqrt(t * t + 1.0);
                s = t * c;
                for (k = 0; k < n; k++) {
                    const double p = a[k * n + i], q = a[k * n + j];
                    a[k * n + i] = c * p - s * q;
                    a[k * n + j] = s * p + c * q;
                }
                for (k = 0; k < n; k++) {
                    const double p = a[i * n + k], q = a[j * n + k];
                    a[i * n + k] = c * p - s * q;
                    a[j * n + k] = s * p + c * q;
                }
                for (k = 0; k < n; k++) {
                    const double p = v[k * n + i], q = v[k * n + j];
                    v[k * n + i] = c * p - s * q;
                    v[k * n + j] = s * p + c * q;
                }
            }
    }
}

// Orthonormal columns of b [n, m], one after the other; what is left of a dependent one becomes 0.
LOCUSI_FN void locusi_orthonormal(double *b, size_t n, size_t m)
{
    size_t i, j, k, twice;
    for (j = 0; j < m; j++) {
        double norm = 0.0;
        for (twice = 0; twice < 2; twice++)
            for (k = 0; k < j; k++) {
                double dot = 0.0;
                for (i = 0; i < n; i++) dot += b[i * m + j] * b[i * m + k];
                for (i = 0; i < n; i++) b[i * m + j] -= dot * b[i * m + k];
            }
        for (i = 0; i < n; i++) norm += b[i * m + j] * b[i * m + j];
        norm = norm > 1e-60 ? 1.0 / sqrt(norm) : 0.0;
        for (i = 0; i < n; i++) b[i * m + j] *= norm;
    }
}

// The m largest eigenvalues (descending) and their vectors (columns of b [n, m]) of a symmetric c [n, n], by subspace
// iteration and Rayleigh-Ritz. work: (n + 3 m) m doubles.
LOCUSI_FN void locusi_top_eigen(const double *c, size_t n, size_t m, double *b, double *value, double *work)
{
    double *cb = work, *small = cb + n * m, *v = small + m * m, *row = v + m * m;
    size_t i, j, k, round;
    for (i = 0; i < n * m; i++) b[i] = (double)(locusi_mix(i + 1) >> 11) / 9007199254740992.0 - 0.5;
    locusi_orthonormal(b, n, m);
    for (round = 0; round < 16; round++) {
        memset(cb, 0, n * m * sizeof(double));
        for (i = 0; i < n; i++)
            for (k = 0; k < n; k++) {
                const double x = c[i * n + k];
                for (j = 0; j < m; j++) cb[i * m + j] += x * b[k * m + j];
            }
        if (round < 15) {
            memcpy(b, cb, n * m * sizeof(double));
            locusi_orthonormal(b, n, m);
        }
    }
    for (i = 0; i < m; i++)
        for (j = 0; j < m; j++) {
            small[i * m + j] = 0.0;
            for (k = 0; k < n; k++)
                small[i * m + j] += (b[k * m + i] * cb[k * m + j] + b[k * m + j] * cb[k * m + i]) / 2.0;
        }
    locusi_jacobi(small, v, m);
    for (i = 0; i < m; i++) { // selection sort: the order is descending
        size_t best = i;
        for (j = i + 1; j < m; j++)
            if (small[j * m + j] > small[best * m + best]) best = j;
        value[i] = small[best * m + best];
        small[best * m + best] = small[i * m + i];
        for (k = 0; k < m; k++) {
            const double x = v[k * m + i];
            v[k * m + i] = v[k * m + best];
            v[k * m + best] = x;
        }
    }
    for (k = 0; k < n; k++) {
        for (i = 0; i < m; i++) {
            row[i] = 0.0;
            for (j = 0; j < m; j++) row[i] += b[k * m + j] * v[j * m + i];
        }
        memcpy(b + k * m, row, m * sizeof(double));
    }
}

// ---- learning

// factor <- of the landmarks' own kernel matrix, features <- those of the prior that is alike in all directions; 0 if
// the landmarks are absurd.
LOCUSI_FN int locusi_recall_prepare(locusi_recall *m, const locusi_kernels *k)
{
    const size_t p = m->landmarks, r = m->rank;
    size_t i, j, c;
    double *l = m->factor;
    locusi_recall_pack(m, k);
    for (i = 0; i < p; i++) {
        float *row = m->features + i * p; // borrowed
        locusi_matmul_run(k, m->points + i * r, r, 1, r, m->landmark, p, row, p, NULL, NULL, 0, 0);
        k->kernel(row, m->half, m->half[i], p);
    }
    for (i = 0; i < p; i++) // what is added to the diagonal keeps float32 sufficient everywhere else
        for (j = 0; j <= i; j++) l[i * p + j] = (double)m->features[i * p + j] + (i == j ? 1e-4 : 0.0);
    if (!locusi_cholesky(l, p)) return 0;
    memset(m->features, 0, p * p * sizeof(float));
    for (j = 0; j < p; j++) { // column j of L^-1, packed at once: feature i takes kernel j
        double x[LOCUSI_RECALL_LANDMARKS];
        for (i = j; i < p; i++) {
            double s = i == j ? 1.0 : 0.0;
            for (c = j; c < i; c++) s -= l[i * p + c] * x[c];
            x[i] = s / l[i * p + i];
            m->features[locusi_packed(i, j, p)] = (float)x[i];
        }
    }
    return 1;
}

// features <- those of the prior that the pool's models taught: with directions theta_k in the plain features, its
// covariance is rest + sum theta_k theta_k^T, and its Cholesky factor goes into the features. 0 if they are absurd.
LOCUSI_FN int locusi_recall_specialise(locusi_recall *m)
{
    const size_t p = m->landmarks;
    double theta[LOCUSI_RECALL_LANDMARKS], *a = m->spare;
    size_t i, j, d;
    if (!m->directions) return 1;
    for (i = 0; i < p * p; i++) a[i] = i % (p + 1) ? 0.0 : m->rest;
    for (d = 0; d < m->directions; d++) {
        const float *row = m->direction + d * p;
        for (i = 0; i < p; i++) { // L^T row
            theta[i] = 0.0;
            for (j = i; j < p; j++) theta[i] += m->factor[j * p + i] * (double)row[j];
        }
        for (i = 0; i < p; i++)
            for (j = 0; j <= i; j++) a[i * p + j] += theta[i] * theta[j];
    }
    if (!locusi_cholesky(a, p)) return 0;
    for (j = 0; j < p; j++) { // kernel j's share of each feature
        double x[LOCUSI_RECALL_LANDMARKS];
        memset(x, 0, p * sizeof(double));
        for (d = j; d < p; d++) {
            const double from = (double)m->features[locusi_packed(d, j, p)], *row = a + d * p;
            for (i = 0; i <= d; i++) x[i] += from * row[i];
        }
        for (i = 0; i < p; i++) m->features[locusi_packed(i, j, p)] = (float)x[i];
    }
    return 1;
}

// coefficient [landmarks] <- the weights on kernels that weights theta on features come to
LOCUSI_FN void locusi_recall_weights(const locusi_recall *m, const double *theta, double *coefficient)
{
    const size_t p = m->landmarks;
    size_t panel, j, c;
    memset(coefficient, 0, p * sizeof(double));
    for (panel = 0; panel < p; panel += 16)
        for (j = 0; j < p; j++) {
            const float *row = m->features + panel * p + 16 * j;
            double sum = 0.0;
            for (c = 0; c < 16; c++) sum += (double)row[c] * theta[panel + c];
            coefficient[j] += sum;
        }
}

// Ridge regression on features phi [n, p]: minimise sum_i w_i (y_i - phi_i x)^2 + x' x
typedef struct locusi_ridge {
    const locusi_recall *memory;
    const locusi_kernels *k;
    const float *phi; // [n, p]
    size_t n;
    float *scaled;  // [n, p]
    float *normal;  // [p, p]
    double *factor; // [p, p]
} locusi_ridge;

// Factor of phi' W phi + 1 for weights w [n].
LOCUSI_FN void locusi_ridge_factor(locusi_ridge *r, const float *w)
{
    const size_t p = r->memory->landmarks;
    size_t i;
    memset(r->scaled, 0, r->n * p * sizeof(float));
    for (i = 0; i < r->n; i++) r->k->axpy(w[i], r->phi + i * p, r->scaled + i * p, p);
    locusi_product(r->k, r->scaled, 1, p, p, r->n, r->phi, p, 16, p, r->normal, p, 0);
    for (i = 0; i < p * p; i++) r->factor[i] = (double)r->normal[i] + (i % (p + 1) ? 0.0 : 1.0);
    locusi_cholesky(r->factor, p); // at least 1: cannot fail but for absurd input, which gives NaN and is seen later
}

// x [p] <- the weights on features
LOCUSI_FN void locusi_ridge_features(const locusi_ridge *r, const float *w, const double *y, double *x)
{
    const size_t p = r->memory->landmarks;
    size_t i, c;
    memset(x, 0, p * sizeof(double));
    for (i = 0; i < r->n; i++) {
        const double wy = (double)w[i] * y[i];
        const float *phi = r->phi + i * p;
        if (wy != 0.0)
            for (c = 0; c < p; c++) x[c] += wy * (double)phi[c];
    }
    locusi_solve_lower(r->factor, p, x);
    locusi_solve_upper(r->factor, p, x);
}

// ---- how strong the signal is against the noise

#define LOCUSI_RATIOS ((size_t)9) // of two decades about the prior's centre

typedef struct locusi_ratio {
    double centre;
    double residual[LOCUSI_RATIOS], volume[LOCUSI_RATIOS]; // sums of y' C^-1 y and of log |C|, C = 1 + ratio phi phi'
    double count;                                          // of targets, less one for each unknown mean
} locusi_ratio;

LOCUSI_FN double locusi_ratio_at(const locusi_ratio *a, size_t g)
{
    return a->centre * pow(10.0, 0.25 * ((double)g - 0.5 * (double)(LOCUSI_RATIOS - 1)));
}

// Take in `columns` columns of targets y [columns, n] with weights w [n], 0: not asked. Scratch: the ridge's, and right
// [columns, landmarks].
LOCUSI_FN void locusi_ratio_add(locusi_ratio *a, locusi_ridge *r, const float *w, const float *y, size_t columns,
                                double *right)
{
    const size_t p = r->memory->landmarks, n = r->n;
    double mean[LOCUSI_RECALL_LANDMARKS], weights = 0.0, asked = 0.0, squares = 0.0;
    size_t i, c, g, column;
    memset(mean, 0, p * sizeof(double));
    memset(r->scaled, 0, n * p * sizeof(float));
    for (i = 0; i < n; i++) {
        const float *phi = r->phi + i * p;
        if (!(w[i] > 0.0f)) continue;
        asked += 1.0;
        weights += (double)w[i];
        r->k->axpy(w[i], phi, r->scaled + i * p, p);
        for (c = 0; c < p; c++) mean[c] += (double)w[i] * (double)phi[c];
    }
    if (!(asked > 1.0)) return;
    locusi_product(r->k, r->scaled, 1, p, p, n, r->phi, p, 16, p, r->normal, p, 0);
    for (column = 0; column < columns; column++) {
        double *sums = right + column * p, sum = 0.0;
        memset(sums, 0, p * sizeof(double));
        for (i = 0; i < n; i++) {
            const float *phi = r->phi + i * p;
            double wy;
            if (!(w[i] > 0.0f)) continue;
            wy = (double)w[i] * (double)y[column * n + i];
            sum += wy;
            squares += wy * (double)y[column * n + i];
            for (c = 0; c < p; c++) sums[c] += wy * (double)phi[c];
        }
        squares -= sum * sum / weights;
        for (c = 0; c < p; c++) sums[c] -= mean[c] * sum / weights;
    }
    for (g = 0; g < LOCUSI_RATIOS; g++) {
        const double ratio = locusi_ratio_at(a, g);
        double volume = 0.0, told = 0.0, x[LOCUSI_RECALL_LANDMARKS];
        for (i = 0; i < p; i++)
            for (c = 0; c <= i; c++)
                r->factor[i * p + c] =
                    ratio * ((double)r->normal[i * p + c] - mean[i] * mean[c] / weights) + (i == c ? 1.0 : 0.0);
        locusi_cholesky(r->factor, p); // at least 1
        for (i = 0; i < p; i++) volume += 2.0 * log(r->factor[i * (p + 1)]);
        for (column = 0; column < columns; column++) {
            memcpy(x, right + column * p, p * sizeof(double));
            locusi_solve_lower(r->factor, p, x);
            for (c = 0; c < p; c++) told += x[c] * x[c];
        }
        a->residual[g] += squares - ratio * told;
        a->volume[g] += volume * (double)columns;
    }
    a->count += (asked - 1.0) * (double)columns;
}

// The posterior's mean of the ratio's logarithm, as a ratio.
LOCUSI_FN double locusi_ratio_mean(const locusi_ratio *a)
{
    double evidence[LOCUSI_RATIOS], most = -DBL_MAX, sum = 0.0, mean = 0.0;
    size_t g;
    for (g = 0; g < LOCUSI_RATIOS; g++) {
        const double away = 0.25 * ((double)g - 0.5 * (double)(LOCUSI_RATIOS - 1)) / LOCUSI_RATIO_SPREAD;
        const double residual = a->residual[g] > 1e-30 ? a->residual[g] : 1e-30;
        evidence[g] = -0.5 * (a->count * log(residual) + a->volume[g] + away * away);
        most = evidence[g] > most ? evidence[g] : most;
    }
    for (g = 0; g < LOCUSI_RATIOS; g++) {
        const double weight = exp(evidence[g] - most);
        sum += weight;
        mean += weight * log(locusi_ratio_at(a, g));
    }
    return exp(mean / sum);
}

LOCUSI_FN double locusi_deviation(double mean)
{
    const double v = mean * (1.0 - mean);
    return sqrt(v > 0.05 ? v : 0.05);
}

typedef struct locusi_known { // a query's hash and its place
    uint64_t hash;
    size_t at;
} locusi_known;

LOCUSI_FN int locusi_known_order(const void *a, const void *b)
{
    const locusi_known *x = (const locusi_known *)a, *y = (const locusi_known *)b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

// The place of a query among those that the memory has seen; SIZE_MAX if it has not.
LOCUSI_FN size_t locusi_recall_place(const locusi_recall *m, const float *q)
{
    const uint64_t hash = locusi_encoding_hash(q, m->q);
    size_t low = 0, high = m->seen;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (m->known[middle] < hash) low = middle + 1;
        else high = middle;
    }
    return low < m->seen && m->known[low] == hash ? low : SIZE_MAX;
}

// t of a query that the memory has seen; 0 if it has not.
LOCUSI_FN int locusi_recall_known(const locusi_recall *m, const float *q, double *t)
{
    const size_t place = locusi_recall_place(m, q);
    if (place == SIZE_MAX) return 0;
    *t = (double)m->difficulty[place];
    return 1;
}

LOCUSI_FN double locusi_step(double gradient, double curvature, double most) // of Newton's method, held back
{
    return locusi_clamp(gradient / curvature, -most, most);
}

// slope, intercept [n] and the models' abilities from their scores: the posterior's mode, coordinate by coordinate.
// centre [n]: what the encodings tell of the intercepts; mu [models]: the models' means, where abilities start.
LOCUSI_FN void locusi_items_fit(locusi_recall *m, const locus_evals *e, const double *mu, const double *centre,
                                double *slope, double *intercept, double *ability)
{
    const size_t n = e->queries.count, models = e->scores.models;
    const double slopes = 1.0 / (LOCUSI_SD_SLOPE * LOCUSI_SD_SLOPE);
    const double intercepts = 1.0 / (LOCUSI_SD_INTERCEPT * LOCUSI_SD_INTERCEPT);
    double mean = 0.0, variance = 0.0;
    size_t i, j, round, twice;
    float y = 0.0f;
    for (i = 0; i < n; i++) slope[i] = 1.0, intercept[i] = centre[i];
    for (j = 0; j < models; j++) ability[j] = log(mu[j] / (1.0 - mu[j]));
    for (round = 0; round < 20; round++) {
        mean = 0.0;
        for (j = 0; j < models; j++) mean += ability[j] / (double)models;
        for (i = 0; i < n; i++)
            for (twice = 0; twice < 2; twice++) {
                double gi = intercepts * (centre[i] - intercept[i]), hi = intercepts;
                double gs = -slopes * log(slope[i]), hs = slopes, step;
                for (j = 0; j < models; j++) {
                    const double away = slope[i] * (ability[j] - mean);
                    double p;
                    if (!locusi_score(e, j, i, &y)) continue;
                    p = locus_probability(slope[i] * ability[j] + intercept[i]);
                    gi += (double)y - p;
                    hi += p * (1.0 - p);
                    gs += ((double)y - p) * away;
                    hs += p * (1.0 - p) * away * away;
                }
                intercept[i] += locusi_step(gi, hi, 1.0);
                step = exp(locusi_step(gs, hs, 0.3)); // the slope turns about the mean model
                intercept[i] += slope[i] * (1.0 - step) * mean;
                slope[i] *= step;
            }
        for (j = 0; j < models; j++) {
            double g = (mean - ability[j]) / 9.0, h = 1.0 / 9.0;
            for (i = 0; i < n; i++) {
                double p;
                if (!locusi_score(e, j, i, &y)) continue;
                p = locus_probability(slope[i] * ability[j] + intercept[i]);
                g += slope[i] * ((double)y - p);
                h += slope[i] * slope[i] * p * (1.0 - p);
            }
            ability[j] += locusi_step(g, h, 0.5);
        }
    }
    mean = 0.0;
    for (j = 0; j < models; j++) mean += ability[j] / (double)models;
    for (j = 0; j < models; j++) variance += (ability[j] - mean) * (ability[j] - mean) / (double)models;
    m->ability = mean;
    m->spread = sqrt(variance > 0.09 ? variance : 0.09);
}

// What the pool and the trainer want of a fit, row by row of the evaluations; all may be NULL.
typedef struct locusi_recall_fit {
    float *rows;  // [models, landmarks] (f + h_m) sd_m
    float *base;  // [models] mu_m
    float *own;   // [models, landmarks] h_m
    double *item; // [n] t - f
} locusi_recall_fit;

// x from encodings: the principal components of all that are at hand.
LOCUSI_FN locus_status locusi_recall_map(locusi_recall *m, const locusi_kernels *k, const locus_queries *all,
                                         locus_error *err)
{
    const size_t q = m->q, qp = locusi_pad(q), stride = all->stride ? all->stride : all->dim;
    const size_t most = 8192, step = (all->count + most - 1) / most, n = (all->count + step - 1) / step;
    const size_t take = q < LOCUSI_RECALL_RANK ? q : LOCUSI_RECALL_RANK - 1, // one is for the constant
        wide = take + 8 < q ? take + 8 : q;
    float *x, *normal;
    double *covariance, *mean, *b, *value, *work, total = 0.0, scale[LOCUSI_RECALL_RANK];
    size_t i, j, c;
    locusi_carver carver = {NULL, 0, 0};
    void *block = NULL;
    int attempt;
    for (attempt = 0; attempt < 2; attempt++) {
        carver.used = 0;
        x = locusi_carve_floats(&carver, n, qp);
        normal = locusi_carve_floats(&carver, qp, qp);
        covariance = (double *)locusi_carve(&carver, q * q, sizeof(double));
        mean = (double *)locusi_carve(&carver, q, sizeof(double));
        b = (double *)locusi_carve(&carver, q * wide, sizeof(double));
        value = (double *)locusi_carve(&carver, wide, sizeof(double));
        work = (double *)locusi_carve(&carver, (q + 3 * wide) * wide, sizeof(double));
        if (attempt) break;
        if (carver.failed || !(block = LOCUS_MALLOC(carver.used + 64)))
            return locusi_fail(err, LOCUS_ERR_MEMORY, "memory", "%z bytes", "none", carver.used);
        memset(block, 0, carver.used + 64);
        carver.base = locusi_align(block);
    }
    for (i = 0; i < n; i++)
        for (c = 0; c < q; c++) mean[c] += (double)all->encodings[i * step * stride + c] / (double)n;
    for (i = 0; i < n; i++)
        for (c = 0; c < q; c++) x[i * qp + c] = (float)((double)all->encodings[i * step * stride + c] - mean[c]);
    locusi_product(k, x, 1, qp, qp, n, x, qp, 16, qp, normal, qp, 0);
    for (i = 0; i < q; i++)
        for (j = 0; j < q; j++) covariance[i * q + j] = (double)normal[i * qp + j] / (double)n;
    locusi_top_eigen(covariance, q, wide, b, value, work);
    for (c = 0; c < take; c++) {
        const double v = value[c] > 1e-7 * value[0] ? value[c] : 0.0; // what is left is rounding
        scale[c] = pow(v, 0.15);
        total += v * scale[c] * scale[c];
    }
    memset(m->map, 0, q * m->rank * sizeof(float));
    memset(m->map_bias, 0, m->rank * sizeof(float));
    for (c = 0; c < take; c++) {
        const double s = total > 0.0 ? scale[c] / sqrt(total) : 0.0;
        double bias = 0.0;
        for (i = 0; i < q; i++) {
            m->map[locusi_packed(c, i, q)] = (float)(b[i * wide + c] * s);
            bias -= mean[i] * b[i * wide + c] * s;
        }
        m->map_bias[c] = (float)bias;
    }
    m->map_bias[take] = 1.0f;
    LOCUS_FREE(block);
    return LOCUS_OK;
}

typedef struct locusi_candidates { // for landmarks
    size_t evaluated, count, padded;
    float *x, *packed, *half; // [count, rank], packed [rank -> padded], [padded]
    float *left, *told;       // [padded] kernel with itself, less what the chosen explain; [landmarks, padded] that
} locusi_candidates;

LOCUSI_FN void locusi_candidates_carve(locusi_candidates *a, const locusi_recall *m, locusi_carver *c)
{
    a->padded = locusi_pad(a->count);
    a->x = locusi_carve_floats(c, a->padded, m->rank);
    a->packed = locusi_carve_floats(c, a->padded, m->rank);
    a->half = locusi_carve_floats(c, a->padded, 1);
    a->left = locusi_carve_floats(c, a->padded, 1);
    a->told = locusi_carve_floats(c, m->landmarks, a->padded);
}

// The candidate that the chosen explain least, and how little.
LOCUSI_FN size_t locusi_candidates_next(const locusi_candidates *a, size_t from, size_t to, float *left)
{
    size_t best = from, i;
    for (i = from; i < to; i++)
        if (a->left[i] > a->left[best]) best = i;
    *left = from < to ? a->left[best] : 0.0f;
    return best;
}

// Landmarks: of the evaluated queries, whose kernels span all that a regression on them can say, always the one that
// those before explain least (a pivoted Cholesky factor of the kernel matrix, Fine and Scheinberg 2001); where these
// are explained, of the others.
LOCUSI_FN locus_status locusi_recall_choose(locusi_recall *m, const locusi_kernels *k, const locus_queries *evaluated,
                                            const locus_queries *all, locus_error *err)
{
    const size_t most = 4096, r = m->rank;
    const locus_queries *from[2];
    size_t step[2] = {1, 1}, taken[2] = {0, 0}, part, i, c, t;
    locusi_candidates a;
    locusi_carver carver = {NULL, 0, 0};
    void *block = NULL;
    int attempt;
    from[0] = evaluated;
    from[1] = all;
    memset(&a, 0, sizeof a);
    for (part = 0; part < 2; part++) {
        if (part && all->encodings == evaluated->encodings) continue;
        step[part] = (from[part]->count + most - 1) / most;
        taken[part] = (from[part]->count + step[part] - 1) / step[part];
    }
    a.evaluated = taken[0];
    a.count = taken[0] + taken[1];
    for (attempt = 0; attempt < 2; attempt++) {
        carver.used = 0;
        locusi_candidates_carve(&a, m, &carver);
        if (attempt) break;
        if (carver.failed || !(block = LOCUS_MALLOC(carver.used + 64)))
            return locusi_fail(err, LOCUS_ERR_MEMORY, "memory", "%z bytes", "none", carver.used);
        memset(block, 0, carver.used + 64);
        carver.base = locusi_align(block);
    }
    for (i = 0; i < a.count; i++) {
        const size_t other = i >= taken[0], at = (other ? i - taken[0] : i) * step[other];
        const locus_queries *q = from[other];
        float *x = a.x + i * r;
        locusi_matmul_run(k, q->encodings + at * (q->stride ? q->stride : q->dim), q->dim, 1, m->q, m->map, r, x, r,
                          m->map_bias, NULL, 0, 0);
        a.half[i] = 0.5f * k->square(x, r);
        a.left[i] = (2.0f * a.half[i] + 2.0f) / 3.0f;
        for (c = 0; c < r; c++) a.packed[locusi_packed(i, c, r)] = x[c];
    }
    for (t = 0; t < m->landmarks; t++) {
        float *column = a.told + t * a.padded, left, scale;
        size_t best = locusi_candidates_next(&a, 0, a.evaluated, &left);
        if (!(left > 1e-3f)) best = locusi_candidates_next(&a, a.evaluated, a.count, &left);
        if (!(left > 1e-4f)) { // all are explained: any will do
            memcpy(m->points + t * r, a.x + t % a.count * r, r * sizeof(float));
            continue;
        }
        memcpy(m->points + t * r, a.x + best * r, r * sizeof(float));
        locusi_matmul_run(k, a.x + best * r, r, 1, r, a.packed, a.padded, column, a.padded, NULL, NULL, 0, 0);
        k->kernel(column, a.half, a.half[best], a.padded);
        for (i = 0; i < t; i++) k->axpy(-a.told[i * a.padded + best], a.told + i * a.padded, column, a.padded);
        scale = 1.0f / sqrtf(left);
        for (i = 0; i < a.count; i++) {
            column[i] *= scale;
            a.left[i] -= column[i] * column[i];
        }
        a.left[best] = 0.0f;
    }
    LOCUS_FREE(block);
    return LOCUS_OK;
}

// Rows of x that the encodings need: their components and the constant.
LOCUSI_FN size_t locusi_recall_rank(size_t q)
{
    return q < LOCUSI_RECALL_RANK ? locusi_pad(q + 1) : LOCUSI_RECALL_RANK;
}

LOCUSI_FN size_t locusi_recall_landmarks(const locus_queries *evaluated, const locus_queries *all)
{
    const size_t others = all->encodings == evaluated->encodings ? 0 : all->count;
    if (evaluated->count >= LOCUSI_RECALL_LANDMARKS || others >= LOCUSI_RECALL_LANDMARKS)
        return LOCUSI_RECALL_LANDMARKS;
    return locusi_pad(locusi_max(1, evaluated->count + others < LOCUSI_RECALL_LANDMARKS ? evaluated->count + others
                                                                                        : LOCUSI_RECALL_LANDMARKS));
}

typedef struct locusi_recall_learner {
    locusi_recall *m;
    const locus_evals *e;
    locusi_ridge ridge;
    size_t n, models, *asked;    // asked [n]: models that have a score there
    float *phi, *kernels, *x;    // [n, landmarks] twice, [n, rank]
    float *y;                    // [models, n] scores, NaN: missing
    float *h, *theta;            // [models, n] h_m at the queries, [models, landmarks] in features
    float *targets, *w, *shares; // [TARGETS, n], [n], [n]
    double *right;               // [TARGETS, landmarks]
    double *mu, *sd, *answered;  // [models]; answered: how many scores
    double *t, *z, *f;           // [n]
    double *coefficient, *target;
    locusi_known *order; // [models] hashes of their gaps: those with the same side by side
    int full, given;     // no gaps; the ratios are known
} locusi_recall_learner;

#define LOCUSI_TARGETS ((size_t)64) // models whose evidence is taken in at most; of those with gaps, 12

// Means, drawn to the pool's as far as models differ.
LOCUSI_FN void locusi_learn_means(locusi_recall_learner *l)
{
    locusi_recall *m = l->m;
    const double models = (double)l->models;
    double mean = 0.0, square = 0.0, noise = 0.0, variance, between;
    size_t i, j;
    for (j = 0; j < l->models; j++) { // mu: the sums, for the time being
        const float *y = l->y + j * l->n;
        double sum = 0.0;
        for (i = 0; i < l->n; i++)
            if (!locusi_is_nan(y[i])) sum += (double)y[i] - l->sd[j] * l->t[i];
        l->mu[j] = sum;
        mean += sum / l->answered[j];
        square += sum / l->answered[j] * (sum / l->answered[j]);
        noise += l->sd[j] * l->sd[j] * m->noise / l->answered[j];
    }
    variance = square / models - mean * mean / (models * models);
    between = variance - noise / models; // a difference of two estimates: it may be anything
    if (between < 0.1 * variance) between = 0.1 * variance;
    if (between < 1e-4) between = 1e-4;
    m->mean = locusi_clamp(mean / models, 0.01, 0.99);
    m->pull = 0.0;
    for (j = 0; j < l->models; j++) {
        const double pull = l->sd[j] * l->sd[j] * m->noise / between;
        m->pull += pull / models;
        l->mu[j] = locusi_clamp((pull * m->mean + l->mu[j]) / (pull + l->answered[j]), 0.01, 0.99);
        l->sd[j] = locusi_deviation(l->mu[j]);
    }
}

// f and t from what the models have in common; item: its variance, estimated anew.
LOCUSI_FN void locusi_learn_shared(locusi_recall_learner *l, double *item)
{
    locusi_recall *m = l->m;
    const size_t n = l->n, p = m->landmarks;
    double odd = 0.0, count = 0.0, ratio;
    locusi_ratio evidence;
    size_t i, j, c;
    memset(l->z, 0, n * sizeof(double));
    for (j = 0; j < l->models; j++)
        for (i = 0; i < n; i++)
            if (!locusi_is_nan(l->y[j * n + i]))
                l->z[i] +=
                    (((double)l->y[j * n + i] - l->mu[j]) / l->sd[j] - (double)l->h[j * n + i]) / (double)l->asked[i];
    for (i = 0; i < n; i++) {
        l->targets[i] = (float)l->z[i];
        l->shares[i] = l->asked[i] ? (float)(*item / (*item + m->noise / (double)l->asked[i])) : 0.0f;
    }
    if (!l->given) {
        memset(&evidence, 0, sizeof evidence);
        evidence.centre = LOCUSI_RATIO_SHARED;
        locusi_ratio_add(&evidence, &l->ridge, l->shares, l->targets, 1, l->right);
        m->ratio[0] = locusi_ratio_mean(&evidence);
    }
    ratio = m->ratio[0];
    for (i = 0; i < n; i++) l->w[i] = (float)ratio * l->shares[i];
    locusi_ridge_factor(&l->ridge, l->w);
    locusi_ridge_features(&l->ridge, l->w, l->z, l->target);
    locusi_recall_weights(m, l->target, l->coefficient);
    for (c = 0; c < p; c++) m->shared[c] = (float)l->coefficient[c];
    for (i = 0; i < n; i++) {
        l->f[i] = 0.0;
        for (c = 0; c < p; c++) l->f[i] += l->target[c] * (double)l->phi[i * p + c];
        l->t[i] = l->f[i] + (double)l->shares[i] * (l->z[i] - l->f[i]);
        if (!l->asked[i]) continue;
        odd += (l->z[i] - l->f[i]) * (l->z[i] - l->f[i]) - m->noise / (double)l->asked[i];
        count += 1.0;
    }
    *item = locusi_clamp(odd / count, 0.02, 1.0);
}

LOCUSI_FN float locusi_learn_difference(const locusi_recall_learner *l, size_t j, size_t i)
{
    return (float)(((double)l->y[j * l->n + i] - l->mu[j]) / l->sd[j] - l->t[i]);
}

// m->own and m->noise: how much of what sets models apart is a function of the encoding.
LOCUSI_FN void locusi_learn_own_ratio(locusi_recall_learner *l)
{
    locusi_recall *m = l->m;
    const size_t n = l->n, p = m->landmarks;
    const size_t most = l->full ? LOCUSI_TARGETS : 12, take = l->models < most ? l->models : most;
    double squares = 0.0, spread = 0.0, count = 0.0;
    locusi_ratio evidence;
    size_t i, j, c;
    memset(&evidence, 0, sizeof evidence);
    evidence.centre = LOCUSI_RATIO_OWN;
    for (j = 0; j < take && !l->given; j++) {
        const size_t model = j * l->models / take;
        float *to = l->targets + (l->full ? j : 0) * n;
        for (i = 0; i < n; i++) {
            const int has = !locusi_is_nan(l->y[model * n + i]);
            l->w[i] = has ? 1.0f : 0.0f;
            to[i] = has ? locusi_learn_difference(l, model, i) : 0.0f;
        }
        if (!l->full) locusi_ratio_add(&evidence, &l->ridge, l->w, to, 1, l->right);
    }
    if (l->full && !l->given) locusi_ratio_add(&evidence, &l->ridge, l->w, l->targets, take, l->right);
    if (!l->given) m->ratio[1] = locusi_ratio_mean(&evidence);
    for (j = 0; j < l->models; j++)
        for (i = 0; i < n; i++)
            if (!locusi_is_nan(l->y[j * n + i])) {
                const double d = (double)locusi_learn_difference(l, j, i);
                squares += d * d;
                count += 1.0;
            }
    for (i = 0; i < n; i++)
        for (c = 0; c < p; c++)
            spread += (double)l->phi[i * p + c] * (double)l->phi[i * p + c] * (double)l->asked[i] / count;
    m->noise = locusi_clamp(squares / count / (1.0 + m->ratio[1] * spread), 0.05, 1.0);
    m->own = m->ratio[1] * m->noise;
}

// theta and h of every model
LOCUSI_FN void locusi_learn_own(locusi_recall_learner *l)
{
    locusi_recall *m = l->m;
    const size_t n = l->n, p = m->landmarks;
    size_t i, j, c;
    for (j = 0; j < l->models; j++) {
        const size_t model = l->order[j].at;
        const float *y = l->y + model * n;
        int same = j > 0;
        for (i = 0; i < n; i++) {
            const int has = !locusi_is_nan(y[i]);
            same &= j > 0 && has == (l->w[i] > 0.0f);
            l->w[i] = has ? (float)(m->own / m->noise) : 0.0f;
            l->z[i] = has ? (double)locusi_learn_difference(l, model, i) : 0.0;
        }
        if (!same) locusi_ridge_factor(&l->ridge, l->w);
        locusi_ridge_features(&l->ridge, l->w, l->z, l->target);
        for (c = 0; c < p; c++) l->theta[model * p + c] = (float)l->target[c];
    }
    for (i = 0; i < n; i++) // h = phi theta', a row of phi at a time: few queries in the cache serve all models
        for (j = 0; j < l->models; j++) {
            float s = 0.0f;
            const float *a = l->theta + j * p, *b = l->phi + i * p;
            for (c = 0; c < p; c++) s += a[c] * b[c];
            l->h[j * n + i] = s;
        }
}

// The prior of later models: m->direction and m->rest. normal, factor, scaled and spare are scratch.
LOCUSI_FN void locusi_learn_directions(locusi_recall_learner *l)
{
    locusi_recall *m = l->m;
    const size_t p = m->landmarks, d = m->directions;
    const double unit = 1.0 / (m->own * (double)l->models);
    double *vectors = m->spare, *value, *work, trace = 0.0, known = 0.0, all = 0.0, sum = 0.0;
    size_t i, j, c, step = l->n / 64 + 1;
    // what a model of typical gaps leaves open about itself, at its own queries
    for (i = 0; i < l->n; i++) l->w[i] = (float)(m->own / m->noise * (double)l->asked[i] / (double)l->models);
    locusi_ridge_factor(&l->ridge, l->w);
    for (i = 0; i < l->n; i += step) {
        for (c = 0; c < p; c++) l->target[c] = (double)l->phi[i * p + c];
        for (c = 0; c < p; c++) all += l->target[c] * l->target[c];
        locusi_solve_lower(l->ridge.factor, p, l->target);
        for (c = 0; c < p; c++) known += l->target[c] * l->target[c];
    }
    m->rest = all > 0.0 ? known / all : 1.0;
    if (!d) return;
    locusi_product(l->ridge.k, l->theta, 1, p, p, l->models, l->theta, p, 16, p, l->ridge.normal, p, 0);
    for (i = 0; i < p * p; i++) {
        l->ridge.factor[i] = (double)l->ridge.normal[i] * unit;
        trace += i % (p + 1) ? 0.0 : l->ridge.factor[i];
    }
    value = vectors + p * d;
    work = value + d;
    locusi_top_eigen(l->ridge.factor, p, d, vectors, value, work);
    for (j = 0; j < d; j++) {
        const double v = value[j] > 0.0 ? value[j] : 0.0;
        sum += v;
        for (c = 0; c < p; c++) l->target[c] = sqrt(v) * vectors[c * d + j];
        locusi_recall_weights(m, l->target, l->coefficient);
        for (c = 0; c < p; c++) m->direction[j * p + c] = (float)l->coefficient[c];
    }
    m->rest += trace > sum ? (trace - sum) / (double)p : 0.0;
}

LOCUSI_FN void locusi_learn_carve(locusi_recall_learner *l, locusi_carver *c)
{
    const size_t n = l->n, p = l->m->landmarks, models = l->models;
    l->kernels = locusi_carve_floats(c, n, p);
    l->phi = locusi_carve_floats(c, n, p);
    l->x = locusi_carve_floats(c, n, l->m->rank);
    l->y = locusi_carve_floats(c, models, n);
    l->h = locusi_carve_floats(c, models, n);
    l->theta = locusi_carve_floats(c, models, p);
    l->targets = locusi_carve_floats(c, LOCUSI_TARGETS, n);
    l->w = locusi_carve_floats(c, n, 1);
    l->shares = locusi_carve_floats(c, n, 1);
    l->ridge.scaled = locusi_carve_floats(c, n, p);
    l->ridge.normal = locusi_carve_floats(c, p, p);
    l->ridge.factor = (double *)locusi_carve(c, p * p, sizeof(double));
    l->right = (double *)locusi_carve(c, LOCUSI_TARGETS * p, sizeof(double));
    l->mu = (double *)locusi_carve(c, models, sizeof(double));
    l->sd = (double *)locusi_carve(c, models, sizeof(double));
    l->answered = (double *)locusi_carve(c, models, sizeof(double));
    l->t = (double *)locusi_carve(c, n, sizeof(double));
    l->z = (double *)locusi_carve(c, n, sizeof(double));
    l->f = (double *)locusi_carve(c, n, sizeof(double));
    l->coefficient = (double *)locusi_carve(c, p, sizeof(double));
    l->target = (double *)locusi_carve(c, p, sizeof(double));
    l->asked = (size_t *)locusi_carve(c, n, sizeof(size_t));
    l->order = (locusi_known *)locusi_carve(c, models, sizeof(locusi_known));
}

// The scores as they will be needed, and the models by their gaps.
LOCUSI_FN void locusi_learn_scores(locusi_recall_learner *l)
{
    double mean = 0.0, cells = 0.0;
    size_t i, j;
    l->full = 1;
    for (j = 0; j < l->models; j++) {
        uint64_t gaps = 0;
        for (i = 0; i < l->n; i++) {
            float y = 0.0f;
            const int has = locusi_score(l->e, j, i, &y);
            l->y[j * l->n + i] = has ? y : locusi_nan();
            l->asked[i] += (size_t)has;
            l->full &= has;
            if (has) mean += (double)y, cells += 1.0, l->answered[j] += 1.0;
            else gaps = locusi_mix(gaps ^ (i + 1));
        }
        l->order[j].hash = gaps;
        l->order[j].at = j;
    }
    locusi_sort(l->order, l->models, sizeof *l->order, locusi_known_order);
    l->m->mean = mean / cells;
    for (j = 0; j < l->models; j++) l->sd[j] = locusi_deviation(l->m->mean);
}

// The evaluated queries as the pool keeps them. slope, intercept, ability, known: scratch.
LOCUSI_FN locus_status locusi_learn_items(locusi_recall_learner *l, locus_error *err)
{
    locusi_recall *m = l->m;
    const size_t n = l->n, stride = l->e->queries.stride ? l->e->queries.stride : l->e->queries.dim;
    double *slope, *intercept, *ability;
    locusi_known *known;
    locusi_carver c = {NULL, 0, 0};
    void *block = NULL;
    size_t i;
    int attempt;
    for (attempt = 0; attempt < 2; attempt++) {
        c.used = 0;
        slope = (double *)locusi_carve(&c, n, sizeof(double));
        intercept = (double *)locusi_carve(&c, n, sizeof(double));
        ability = (double *)locusi_carve(&c, l->models, sizeof(double));
        known = (locusi_known *)locusi_carve(&c, n, sizeof(locusi_known));
        if (attempt) break;
        if (c.failed || !(block = LOCUS_MALLOC(c.used + 64)))
            return locusi_fail(err, LOCUS_ERR_MEMORY, "memory", "%z bytes", "none", c.used);
        c.base = locusi_align(block);
    }
    for (i = 0; i < n; i++) {
        known[i].hash = locusi_encoding_hash(l->e->queries.encodings + i * stride, m->q);
        known[i].at = i;
        l->z[i] = l->f[i] / locusi_deviation(m->mean);
    }
    locusi_items_fit(m, l->e, l->mu, l->z, slope, intercept, ability);
    locusi_sort(known, n, sizeof *known, locusi_known_order);
    for (i = 0; i < n; i++) {
        const size_t at = known[i].at;
        m->known[i] = known[i].hash;
        m->difficulty[i] = (float)l->t[at];
        m->items[2 * i] = (float)slope[at];
        m->items[2 * i + 1] = (float)intercept[at];
    }
    LOCUS_FREE(block);
    return LOCUS_OK;
}

// Fit the memory to checked evaluations; m->landmarks, rank, seen, directions and q are set and its arrays placed.
LOCUSI_FN locus_status locusi_recall_fit_to(locusi_recall *m, const locusi_kernels *k, const locus_evals *e,
                                            const locus_queries *all, locusi_recall_fit *fit, locus_error *err)
{
    const size_t stride = e->queries.stride ? e->queries.stride : e->queries.dim, p = m->landmarks;
    double item = 0.2;
    size_t i, j, c, round;
    locusi_recall_learner l;
    locusi_carver carver = {NULL, 0, 0};
    locus_status status;
    void *block = NULL;
    if ((status = locusi_recall_map(m, k, all, err)) || (status = locusi_recall_choose(m, k, &e->queries, all, err)))
        return status;
    if (!locusi_recall_prepare(m, k))
        return locusi_fail(err, LOCUS_ERR_NONFINITE, "memory", "encodings of sensible size", "others");
    memset(&l, 0, sizeof l);
    l.m = m;
    l.e = e;
    l.n = e->queries.count;
    l.models = e->scores.models;
    l.given = m->ratio[0] > 0.0 && m->ratio[1] > 0.0;
    locusi_learn_carve(&l, &carver);
    if (carver.failed || !(block = LOCUS_MALLOC(carver.used + 64)))
        return locusi_fail(err, LOCUS_ERR_MEMORY, "memory", "%z bytes", "none", carver.used);
    memset(block, 0, carver.used + 64);
    carver.base = locusi_align(block);
    carver.used = 0;
    locusi_learn_carve(&l, &carver);
    locusi_recall_kernels(m, k, e->queries.encodings, stride, l.n, l.x, l.kernels);
    locusi_matmul_run(k, l.kernels, p, l.n, p, m->features, p, l.phi, p, NULL, NULL, 0, 0);
    l.ridge.memory = m, l.ridge.k = k, l.ridge.phi = l.phi, l.ridge.n = l.n;
    locusi_learn_scores(&l);
    m->noise = 0.6;
    for (round = 0; round < 3; round++) {
        locusi_learn_means(&l);
        locusi_learn_shared(&l, &item);
        locusi_learn_own_ratio(&l);
        // a factor for each model is dear: where they are many, their h tells little about the shared part anyway
        if (round == 2 || l.full || l.models <= 256) locusi_learn_own(&l);
    }
    locusi_learn_directions(&l);
    m->mean = (double)(float)m->mean; // as in files
    m->pull = (double)(float)m->pull;
    m->own = (double)(float)m->own;
    m->noise = (double)(float)m->noise;
    m->rest = (double)(float)m->rest;
    for (j = 0; j < l.models; j++) {
        for (c = 0; c < p; c++) l.target[c] = (double)l.theta[j * p + c];
        locusi_recall_weights(m, l.target, l.coefficient);
        for (c = 0; c < p; c++) {
            if (fit->rows) fit->rows[j * p + c] = (float)(((double)m->shared[c] + l.coefficient[c]) * l.sd[j]);
            if (fit->own) fit->own[j * p + c] = (float)l.coefficient[c];
        }
        if (fit->base) fit->base[j] = (float)l.mu[j];
    }
    if (fit->item)
        for (i = 0; i < l.n; i++) fit->item[i] = l.t[i] - l.f[i];
    if (m->seen) status = locusi_learn_items(&l, err);
    LOCUS_FREE(block);
    return status;
}

// ---- one model's part from its own evaluations, with the rest of the memory as it is

typedef struct locusi_own {
    locusi_recall m; // what the pool has, and a learning part of its own
    size_t n;        // evaluations, in the order of their rows
    float *q, *x, *kernels;
    float *phi, *w;              // [n, landmarks], [n]
    double *t, *score;           // [n]
    double *difference;          // [n] (score - mu) / sd - t
    double scores, difficulties; // sums of score and t
    double mu, sd;
    double *theta;       // [landmarks] h_m in features
    double *coefficient; // [landmarks] h_m in kernels
    locusi_ridge r;
} locusi_own;

LOCUSI_FN void locusi_own_carve(locusi_own *o, const locusi_recall *memory, size_t all, locusi_carver *c)
{
    const size_t p = memory->landmarks;
    memset(o, 0, sizeof *o);
    o->m = *memory;
    o->m.landmark = locusi_carve_floats(c, p, memory->rank); // packed anew: others may be using the pool
    o->m.half = locusi_carve_floats(c, p, 1);
    locusi_recall_carve_learning(&o->m, c);
    o->q = locusi_carve_floats(c, all, memory->q);
    o->x = locusi_carve_floats(c, all, memory->rank);
    o->kernels = locusi_carve_floats(c, all, p);
    o->phi = locusi_carve_floats(c, all, p);
    o->w = locusi_carve_floats(c, all, 1);
    o->t = (double *)locusi_carve(c, all, sizeof(double));
    o->score = (double *)locusi_carve(c, all, sizeof(double));
    o->difference = (double *)locusi_carve(c, all, sizeof(double));
    o->theta = (double *)locusi_carve(c, p, sizeof(double));
    o->coefficient = (double *)locusi_carve(c, p, sizeof(double));
    o->r.scaled = locusi_carve_floats(c, all, p);
    o->r.normal = locusi_carve_floats(c, p, p);
    o->r.factor = (double *)locusi_carve(c, p * p, sizeof(double));
}

// mu and sd of a model with n evaluations whose scores and difficulties have these sums. prior: what its mean is drawn
// towards.
LOCUSI_FN void locusi_own_mean(const locusi_recall *m, double prior, double n, double scores, double difficulties,
                               double *mu, double *sd)
{
    size_t round;
    *mu = prior;
    for (round = 0; round < 4; round++)
        *mu =
            locusi_clamp((m->pull * prior + scores - locusi_deviation(*mu) * difficulties) / (n + m->pull), 0.01, 0.99);
    *sd = locusi_deviation(*mu);
}

// From evals (models = 1; checked) to the coefficients; the factor stays for more of them.
LOCUSI_FN locus_status locusi_own_fit(locusi_own *o, const locusi_kernels *k, const locus_evals *e, locus_error *err)
{
    const size_t p = o->m.landmarks, stride = e->queries.stride ? e->queries.stride : e->queries.dim;
    size_t i, c;
    float y = 0.0f;
    if (!locusi_recall_prepare(&o->m, k) || !locusi_recall_specialise(&o->m)) // a file may hold anything
        return locusi_fail(err, LOCUS_ERR_POOL, "memory.landmarks", "sensible numbers", "others");
    o->n = 0;
    for (i = 0; i < e->queries.count; i++)
        if (locusi_score(e, 0, i, &y)) {
            memcpy(o->q + o->n * o->m.q, e->queries.encodings + i * stride, o->m.q * sizeof(float));
            o->score[o->n++] = (double)y;
        }
    locusi_recall_kernels(&o->m, k, o->q, o->m.q, o->n, o->x, o->kernels);
    locusi_matmul_run(k, o->kernels, p, o->n, p, o->m.features, p, o->phi, p, NULL, NULL, 0, 0);
    o->scores = o->difficulties = 0.0;
    for (i = 0; i < o->n; i++) {
        o->w[i] = (float)(o->m.own / o->m.noise);
        o->t[i] = 0.0;
        if (!locusi_recall_known(&o->m, o->q + i * o->m.q, &o->t[i]))
            for (c = 0; c < p; c++) o->t[i] += (double)o->m.shared[c] * (double)o->kernels[i * p + c];
        o->scores += o->score[i];
        o->difficulties += o->t[i];
    }
    locusi_own_mean(&o->m, o->m.mean, (double)o->n, o->scores, o->difficulties, &o->mu, &o->sd);
    for (i = 0; i < o->n; i++) o->difference[i] = (o->score[i] - o->mu) / o->sd - o->t[i];
    o->r.memory = &o->m, o->r.k = k, o->r.phi = o->phi, o->r.n = o->n;
    locusi_ridge_factor(&o->r, o->w);
    locusi_ridge_features(&o->r, o->w, o->difference, o->theta);
    locusi_recall_weights(&o->m, o->theta, o->coefficient);
    return LOCUS_OK;
}

// row [landmarks] and *base <- what the pool keeps of a model
LOCUSI_FN locus_status locusi_own_row(const locusi_own *o, const double *coefficient, double mu, double sd, float *row,
                                      float *base, locus_error *err)
{
    size_t c;
    for (c = 0; c < o->m.landmarks; c++) {
        const double both = (double)o->m.shared[c] + coefficient[c];
        row[c] = (float)(o->m.logits ? both / sd : both * sd);
        if (!locusi_finite(row[c]))
            return locusi_fail(err, LOCUS_ERR_POOL, "memory", "sensible numbers", "others, as a part of them shows");
    }
    *base = (float)(o->m.logits ? log(mu / (1.0 - mu)) : mu);
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_recall_add(const locusi_recall *memory, const locusi_kernels *k, const locus_evals *e,
                                         float *row, float *base, locus_error *err)
{
    locusi_carver c = {NULL, 0, 0};
    locusi_own own;
    locus_status status;
    void *block = NULL;
    size_t bytes;
    locusi_own_carve(&own, memory, e->queries.count, &c);
    if (!c.failed && locusi_add(c.used, 64, &bytes)) block = LOCUS_MALLOC(bytes);
    if (!block) return locusi_fail(err, LOCUS_ERR_MEMORY, "memory", "%z bytes", "none", c.used);
    c.base = locusi_align(block);
    c.used = 0;
    locusi_own_carve(&own, memory, e->queries.count, &c);
    status = locusi_own_fit(&own, k, e, err);
    if (!status) status = locusi_own_row(&own, own.coefficient, own.mu, own.sd, row, base, err);
    LOCUS_FREE(block);
    return status;
}
#endif // LOCUS_INFERENCE_ONLY
// ---------------------------------------------------------------------------------------------------------- >>pool
//
// In a file: tensors pool.embeddings F32 [M, d], pool.names U8 (each name and a zero byte), pool.parameters_b F32 [M],
// pool.cost F64 [M] (F32 until version 0.3; NaN: unknown), pool.available U8 [M], pool.evaluations I64 [M], in a
// calibrated pool pool.calibration F32 [M + 1, 2], scale and shift of each model and last the pool's, and in a guarded
// one pool.guard F64 [2], the default model's index and the margin; metadata locus.format "1", locus.net_hash (16 hex
// digits), locus.query_encoder, locus.q_dim, and locus.encoder_hash where the predictor stands in the same file.
// In memory each model also has its part of the predictor's hidden layer, W_z z + b (see >>predictor). Names are found
// by a hash table. Pools with room for many models have their embeddings once more, in 16 bits, see >>screen (on x86-64
// with AVX2 or AVX-512: elsewhere that would be no faster).

#define LOCUSI_CALIBRATION_MOST 100.0f // of a scale and of a shift's size

struct locus_pool {
    const locus_net *net;
    size_t count, capacity;
    locus_model *models;
    float *z;                                           // [capacity, dp]
    float *hidden;                                      // [capacity, gp]
    locus_calibration *calibration, calibration_shared; // [capacity], and the pool's; read only if calibrated
    int calibrated;
    locus_guard guard;
    size_t *slots;           // [slot_count] hash table of names: 1 + the model's index, 0: empty
    size_t slot_count;       // a power of two, at least twice the capacity; 0: the capacity is
    uint64_t salt;           // of the hash, so that no file can be made to be slow
    int16_t *coarse;         // NULL, or panels of 16 models of pairs of [dp] numbers
    float *grain;            // [capacity] embedding = grain * coarse, to within ..
    float *slack, *size;     // [capacity] .. slack; size >= |embedding|, |grain * coarse|
    float largest;           // >= every size
    locusi_recall memory;    // landmarks 0: none
    float *recall;           // packed [landmarks -> padded capacity] the models' rows, see >>recall
    float *recall_base;      // [capacity]
    unsigned char *recalled; // [capacity] 1: the model has a row
    void *memory_block;      // what the memory and these stand in
    void *block;             // what models, z and hidden stand in
    int growable;
    void *owned; // this struct, if allocated
    char query_encoder[96];
};

LOCUSI_FN int locusi_valid_name(const char *name, size_t most)
{
    size_t n = 0;
    while (n < most && name[n]) {
        if ((unsigned char)name[n] < 32 || name[n] == 127) return 0;
        n++;
    }
    return n < most && locusi_utf8_valid((const unsigned char *)name, n);
}

#ifndef LOCUSI_SCREEN_FROM // pools with room for so many models are screened
#define LOCUSI_SCREEN_FROM 8192
#endif

LOCUSI_FN void locusi_pool_carve(const locus_net *net, locusi_carver *c, size_t capacity, locus_pool *pool)
{
    pool->models = (locus_model *)locusi_carve(c, capacity, sizeof(locus_model));
    pool->z = locusi_carve_floats(c, capacity, net->dp);
    pool->hidden = locusi_carve_floats(c, capacity, net->gp);
    pool->calibration = (locus_calibration *)locusi_carve(c, capacity, sizeof(locus_calibration));
    for (pool->slot_count = capacity ? 2 : 0; pool->slot_count / 2 < capacity;) {
        if (pool->slot_count > SIZE_MAX / 2) { // no such capacity
            c->failed = 1;
            break;
        }
        pool->slot_count *= 2;
    }
    pool->slots = (size_t *)locusi_carve(c, pool->slot_count, sizeof(size_t));
    pool->coarse = NULL;
    if (net->kernels->screen && capacity >= LOCUSI_SCREEN_FROM && capacity <= SIZE_MAX / 64) {
        const size_t places = (capacity + 31) / 32 * 32; // whole blocks of the kernel
        pool->coarse = (int16_t *)(void *)locusi_carve_floats(c, places, net->dp / 2);
        pool->grain = locusi_carve_floats(c, places, 1);
        pool->slack = locusi_carve_floats(c, places, 1);
        pool->size = locusi_carve_floats(c, places, 1);
    }
    pool->capacity = capacity;
    if (!pool->memory.landmarks) return;
    pool->recall = locusi_carve_floats(c, capacity + 15, pool->memory.landmarks); // whole panels of 16 models
    pool->recall_base = locusi_carve_floats(c, capacity + 15, 1);
    pool->recalled = (unsigned char *)locusi_carve(c, capacity, 1);
}

LOCUS_API size_t locus_pool_memory(const locus_net *net, size_t capacity)
{
    locusi_carver c = {NULL, 0, 0};
    locus_pool pool;
    size_t bytes;
    if (!net) return 0;
    memset(&pool, 0, sizeof pool);
    locusi_carve(&c, 1, sizeof(locus_pool));
    locusi_pool_carve(net, &c, capacity, &pool);
    return c.failed || !locusi_add(c.used, 64, &bytes) ? 0 : bytes;
}

// ---- names

// Where the probing for a name begins. Slots are probed one after the other.
LOCUSI_FN size_t locusi_pool_slot(const locus_pool *pool, const char *name)
{
    uint64_t h = pool->salt;
    size_t n = strlen(name), i;
    for (i = 0; i < n; i += 8) {
        uint64_t word = 0;
        memcpy(&word, name + i, n - i < 8 ? n - i : 8);
        h = locusi_mix(h ^ word) + 0x9e3779b97f4a7c15u;
    }
    return (size_t)h & (pool->slot_count - 1);
}

LOCUSI_FN void locusi_pool_name(locus_pool *pool, size_t index)
{
    size_t at = locusi_pool_slot(pool, pool->models[index].name);
    while (pool->slots[at]) at = (at + 1) & (pool->slot_count - 1);
    pool->slots[at] = index + 1;
}

// Take the name out. The slots behind it that were probed past it move up, so that no search ends too early.
LOCUSI_FN void locusi_pool_unname(locus_pool *pool, size_t index)
{
    const size_t mask = pool->slot_count - 1;
    size_t hole = locusi_pool_slot(pool, pool->models[index].name), at;
    while (pool->slots[hole] != index + 1) hole = (hole + 1) & mask;
    for (at = (hole + 1) & mask; pool->slots[at]; at = (at + 1) & mask) {
        const size_t home = locusi_pool_slot(pool, pool->models[pool->slots[at] - 1].name);
        if (((at - home) & mask) < ((at - hole) & mask)) continue; // its search begins behind the hole
        pool->slots[hole] = pool->slots[at];
        hole = at;
    }
    pool->slots[hole] = 0;
}

// ---- embeddings in 16 bits, see >>screen

// Products of two such numbers, summed over the embedding, stay within 32 bits.
LOCUSI_FN double locusi_screen_range(const locus_net *net)
{
    const double most = floor(sqrt(2147483647.0 / (double)net->dp));
    return most < 32767.0 ? most : 32767.0;
}

// A float that is no smaller.
LOCUSI_FN float locusi_above(double x) { return (float)(x * 1.000001 + 1e-36); }

LOCUSI_FN double locusi_round_to(double x, double most)
{
    x = floor(x + 0.5);
    return x > most ? most : x < -most ? -most : x;
}

LOCUSI_FN void locusi_screen_store(locus_pool *pool, size_t index)
{
    const locus_net *net = pool->net;
    const float *z = pool->z + index * net->dp;
    const double most = locusi_screen_range(net);
    int16_t *to = pool->coarse + index / 16 * 16 * net->dp + index % 16 * 2;
    double size = 0.0, slack = 0.0;
    float top = 0.0f, grain;
    size_t i;
    for (i = 0; i < net->d; i++)
        if (fabsf(z[i]) > top) top = fabsf(z[i]);
    grain = (float)((double)top / most);
    if (grain < 1e-30f) grain = 0.0f; // all of it is slack
    for (i = 0; i < net->dp; i++) {
        const double x = (double)z[i], n = grain > 0.0f ? locusi_round_to(x / (double)grain, most) : 0.0;
        const double rest = x - (double)grain * n;
        to[i / 2 * 32 + i % 2] = (int16_t)n;
        size += x * x;
        slack += rest * rest;
    }
    slack = sqrt(slack);
    pool->grain[index] = grain;
    pool->slack[index] = locusi_above(slack);
    pool->size[index] = locusi_above(sqrt(size) + slack);
    if (pool->largest < pool->size[index]) pool->largest = pool->size[index];
}

LOCUSI_FN void locusi_screen_remove(locus_pool *pool, size_t index)
{
    const size_t rows = pool->net->dp / 2, last = pool->count - 1, behind = last - index;
    size_t panel, p;
    for (panel = index / 16; panel <= last / 16; panel++) {
        const size_t from = panel == index / 16 ? index % 16 : 0;
        int16_t *row = pool->coarse + panel * 32 * rows;
        for (p = 0; p < rows; p++, row += 32) {
            memmove(row + 2 * from, row + 2 * from + 2, 2 * (15 - from) * sizeof *row);
            if (panel < last / 16) memcpy(row + 30, row + 32 * rows, 2 * sizeof *row);
        }
    }
    memmove(pool->grain + index, pool->grain + index + 1, behind * sizeof(float));
    memmove(pool->slack + index, pool->slack + index + 1, behind * sizeof(float));
    memmove(pool->size + index, pool->size + index + 1, behind * sizeof(float));
}

// What follows from the names and the embeddings of all models, in a pool that had none of it.
LOCUSI_FN void locusi_pool_derive(locus_pool *pool)
{
    const size_t places = (pool->capacity + 31) / 32 * 32;
    size_t i;
    if (pool->slot_count) memset(pool->slots, 0, pool->slot_count * sizeof(size_t));
    for (i = 0; i < pool->count; i++) locusi_pool_name(pool, i);
    pool->largest = 0.0f;
    if (!pool->coarse) return;
    memset(pool->coarse, 0, places * pool->net->dp * sizeof(int16_t)); // the kernel looks at empty places too
    memset(pool->grain, 0, places * sizeof(float));
    memset(pool->slack, 0, places * sizeof(float));
    memset(pool->size, 0, places * sizeof(float));
    for (i = 0; i < pool->count; i++) locusi_screen_store(pool, i);
}

// Make room for `capacity` models in a new block.
LOCUSI_FN locus_status locusi_pool_grow(locus_pool *pool, size_t capacity, locus_error *err)
{
    locusi_carver c = {NULL, 0, 0};
    locus_pool bigger = *pool;
    size_t bytes;
    void *block = NULL;
    if (!pool->growable)
        return locusi_fail(err, LOCUS_ERR_MEMORY, "pool", "room for one more model",
                           "%z places in the memory handed in", pool->capacity);
    locusi_pool_carve(pool->net, &c, capacity, &bigger);
    if (!c.failed && locusi_add(c.used, 64, &bytes)) block = LOCUS_MALLOC(bytes);
    if (!block) return locusi_fail(err, LOCUS_ERR_MEMORY, "pool", "room for %z models", "none", capacity);
    c.base = locusi_align(block);
    c.used = 0;
    locusi_pool_carve(pool->net, &c, capacity, &bigger);
    if (pool->count) {
        memcpy(bigger.models, pool->models, pool->count * sizeof(locus_model));
        memcpy(bigger.z, pool->z, pool->count * pool->net->dp * sizeof(float));
        memcpy(bigger.hidden, pool->hidden, pool->count * pool->net->gp * sizeof(float));
        memcpy(bigger.calibration, pool->calibration, pool->count * sizeof(locus_calibration));
    }
    if (bigger.memory.landmarks) {
        memset(bigger.recall, 0, locusi_pad(capacity) * bigger.memory.landmarks * sizeof(float));
        memset(bigger.recall_base, 0, locusi_pad(capacity) * sizeof(float));
        memset(bigger.recalled, 0, capacity);
        if (pool->count && pool->recall) {
            memcpy(bigger.recall, pool->recall, locusi_pad(pool->count) * bigger.memory.landmarks * sizeof(float));
            memcpy(bigger.recall_base, pool->recall_base, pool->count * sizeof(float));
            memcpy(bigger.recalled, pool->recalled, pool->count);
        }
    }
    locusi_pool_derive(&bigger);
    if (pool->block) LOCUS_FREE(pool->block);
    bigger.block = block;
    *pool = bigger;
    return LOCUS_OK;
}

// A growable pool's memory of these sizes, all zero, in a block of its own. The models' rows come with the next growth.
LOCUSI_FN locus_status locusi_pool_make_recall(locus_pool *pool, const locusi_recall *plan, locus_error *err)
{
    locusi_carver c = {NULL, 0, 0};
    locusi_recall memory = *plan;
    size_t bytes;
    void *block = NULL;
    locusi_recall_carve(&memory, &c, 0);
    if (!c.failed && locusi_add(c.used, 64, &bytes)) block = LOCUS_MALLOC(bytes);
    if (!block) return locusi_fail(err, LOCUS_ERR_MEMORY, "memory", "%z bytes", "none", c.used);
    memset(block, 0, bytes);
    c.base = locusi_align(block);
    c.used = 0;
    locusi_recall_carve(&memory, &c, 0);
    if (pool->memory_block) LOCUS_FREE(pool->memory_block);
    pool->memory_block = block;
    pool->memory = memory;
    pool->recall = NULL;
    return LOCUS_OK;
}

LOCUSI_FN float *locusi_recall_at(const locus_pool *pool, size_t model, size_t landmark)
{
    return pool->recall + locusi_packed(model, landmark, pool->memory.landmarks);
}

// Bytes of a pool in one block; plan: its memory's sizes.
LOCUSI_FN size_t locusi_pool_bytes(const locus_net *net, size_t capacity, const locusi_recall *plan)
{
    locusi_carver c = {NULL, 0, 0};
    locus_pool pool;
    size_t bytes;
    memset(&pool, 0, sizeof pool);
    pool.memory = *plan;
    locusi_carve(&c, 1, sizeof(locus_pool));
    if (plan->landmarks) locusi_recall_carve(&pool.memory, &c, 0);
    locusi_pool_carve(net, &c, capacity, &pool);
    return c.failed || !locusi_add(c.used, 64, &bytes) ? 0 : bytes;
}

// *name: the query encoder that a pool is made for; "" or NULL becomes the net's.
LOCUSI_FN locus_status locusi_check_query_encoder(const locus_net *net, const char **name, locus_error *err)
{
    const size_t most = sizeof net->query_encoder;
    if (!*name || !**name) *name = net->query_encoder;
    if (!locusi_valid_name(*name, most))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "query_encoder", "UTF-8 of at most %z bytes", "\"%s\"", most - 1,
                           *name);
    if (net->query_encoder[0] && strcmp(*name, net->query_encoder))
        return locusi_fail(err, LOCUS_ERR_MISMATCH, "query_encoder", "\"%s\", the net's", "\"%s\"", net->query_encoder,
                           *name);
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_pool_create(locus_pool **out, const locus_net *net, size_t capacity,
                                          const char *query_encoder, const locusi_recall *plan, void *memory,
                                          size_t memory_bytes, locus_error *err)
{
    locusi_carver c = {NULL, 0, 0};
    locus_pool *pool;
    size_t bytes;
    locus_status status;
    if (!out || !net) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", out ? "net" : "out");
    *out = NULL;
    if ((status = locusi_check_query_encoder(net, &query_encoder, err))) return status;
    bytes = locusi_pool_bytes(net, capacity, plan);
    if (!bytes) return locusi_fail(err, LOCUS_ERR_OVERFLOW, "capacity", "a pool that fits", "%z models", capacity);
    if (memory) {
        if (memory_bytes < bytes)
            return locusi_fail(err, LOCUS_ERR_MEMORY, "memory", "%z bytes", "%z", bytes, memory_bytes);
        c.base = locusi_align(memory);
        pool = (locus_pool *)locusi_carve(&c, 1, sizeof(locus_pool));
        memset(pool, 0, bytes - 64);
        pool->memory = *plan;
        if (plan->landmarks) locusi_recall_carve(&pool->memory, &c, 0);
        locusi_pool_carve(net, &c, capacity, pool);
    } else {
        pool = (locus_pool *)LOCUS_MALLOC(sizeof(locus_pool));
        if (!pool) return locusi_fail(err, LOCUS_ERR_MEMORY, "pool", "%z bytes", "none", sizeof(locus_pool));
        memset(pool, 0, sizeof *pool);
        pool->owned = pool;
        pool->growable = 1;
    }
    pool->net = net;
    pool->calibration_shared.scale = 1.0f;
    pool->guard.model = SIZE_MAX;
    pool->salt = locusi_mix((uint64_t)(uintptr_t)pool);
    memcpy(pool->query_encoder, query_encoder, strlen(query_encoder) + 1);
    if ((!memory && plan->landmarks && (status = locusi_pool_make_recall(pool, plan, err))) ||
        (!memory && capacity && (status = locusi_pool_grow(pool, capacity, err)))) {
        locus_pool_destroy(pool);
        return status;
    }
    *out = pool;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_pool_create(locus_pool **out, const locus_net *net, size_t capacity,
                                         const char *query_encoder, void *memory, size_t memory_bytes, locus_error *err)
{
    locusi_recall none;
    memset(&none, 0, sizeof none);
    return locusi_pool_create(out, net, capacity, query_encoder, &none, memory, memory_bytes, err);
}

LOCUS_API void locus_pool_destroy(locus_pool *pool)
{
    if (!pool || !pool->owned) return;
    if (pool->block) LOCUS_FREE(pool->block);
    if (pool->memory_block) LOCUS_FREE(pool->memory_block);
    LOCUS_FREE(pool);
}

LOCUS_API size_t locus_pool_count(const locus_pool *pool) { return pool->count; }

LOCUS_API const char *locus_pool_query_encoder(const locus_pool *pool) { return pool->query_encoder; }

LOCUS_API const locus_model *locus_pool_model(const locus_pool *pool, size_t index)
{
    return index < pool->count ? &pool->models[index] : NULL;
}

LOCUS_API const float *locus_pool_embedding(const locus_pool *pool, size_t index)
{
    return index < pool->count ? pool->z + index * pool->net->dp : NULL;
}

LOCUS_API size_t locus_pool_find(const locus_pool *pool, const char *name)
{
    size_t at;
    if (!name || !pool->count) return SIZE_MAX;
    for (at = locusi_pool_slot(pool, name); pool->slots[at]; at = (at + 1) & (pool->slot_count - 1))
        if (!strcmp(pool->models[pool->slots[at] - 1].name, name)) return pool->slots[at] - 1;
    return SIZE_MAX;
}

// Everything that add and set demand; `self`: the index that may keep its own name.
LOCUSI_FN locus_status locusi_pool_check(const locus_pool *pool, const locus_model *model, const float *z, size_t self,
                                         locus_error *err)
{
    size_t i;
    for (i = 0; z && i < pool->net->d; i++)
        if (!(locusi_finite(z[i]) && fabsf(z[i]) < 1e12f))
            return locusi_fail(err, LOCUS_ERR_POOL, "z[%z]", "a finite number", "%f", i, (double)z[i]);
    if (!model) return LOCUS_OK;
    if (!model->name[0] || !locusi_valid_name(model->name, sizeof model->name))
        return locusi_fail(err, LOCUS_ERR_NAME, "model->name", "1 to %z bytes of UTF-8 without control characters",
                           "another", sizeof model->name - 1);
    i = locus_pool_find(pool, model->name);
    if (i != SIZE_MAX && i != self)
        return locusi_fail(err, LOCUS_ERR_NAME, "\"%s\"", "a name that is not taken", "it at index %z", model->name, i);
    if (!locusi_amount(model->cost))
        return locusi_fail(err, LOCUS_ERR_POOL, "cost of \"%s\"", "finite and not negative, or NaN for unknown", "%f",
                           model->name, model->cost);
    if (locusi_finite(model->parameters_b) ? model->parameters_b < 0.0f : !locusi_is_nan(model->parameters_b))
        return locusi_fail(err, LOCUS_ERR_POOL, "parameters_b of \"%s\"", "not negative, or NaN for unknown", "%f",
                           model->name, (double)model->parameters_b);
    return LOCUS_OK;
}

// Store what is given; the rest follows from it. index: of a model, or the place behind the last.
LOCUSI_FN void locusi_pool_store(locus_pool *pool, size_t index, const locus_model *model, const float *z)
{
    const locus_net *net = pool->net;
    if (model) {
        const locus_model copy = *model; // it may be the pool's own
        if (index < pool->count) locusi_pool_unname(pool, index);
        pool->models[index] = copy;
        pool->models[index].available = copy.available != 0;
        locusi_pool_name(pool, index);
    }
    if (z) {
        float *to = pool->z + index * net->dp;
        memmove(to, z, net->d * sizeof(float)); // z may be the pool's own, too
        memset(to + net->d, 0, (net->dp - net->d) * sizeof(float));
        locusi_matmul_run(net->kernels, to, net->dp, 1, net->d, net->hz, net->gp, pool->hidden + index * net->gp,
                          net->gp, net->h_bias, NULL, 0, 0);
        if (pool->coarse) locusi_screen_store(pool, index);
    }
}

LOCUS_API locus_status locus_pool_add(locus_pool *pool, const locus_model *model, const float *z, size_t *index,
                                      locus_error *err)
{
    void *before;
    locus_status status;
    if (!pool || !model || !z)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", !pool ? "pool" : !model ? "model" : "z");
    if ((status = locusi_pool_check(pool, model, z, SIZE_MAX, err))) return status;
    before = pool->block;
    if (pool->count == pool->capacity) {
        pool->block = NULL; // kept until the end: model and z may stand in it
        if ((status = locusi_pool_grow(pool, pool->capacity < 8 ? 8 : 2 * pool->capacity, err))) {
            pool->block = before;
            return status;
        }
    }
    locusi_pool_store(pool, pool->count, model, z);
    if (before && before != pool->block) LOCUS_FREE(before);
    pool->calibration[pool->count] = pool->calibration_shared;
    if (pool->memory.landmarks) pool->recalled[pool->count] = 0;
    if (index) *index = pool->count;
    pool->count++;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_pool_set(locus_pool *pool, size_t index, const locus_model *model, const float *z,
                                      locus_error *err)
{
    locus_status status;
    if (!pool) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "pool", "a pointer", "NULL");
    if (index >= pool->count)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "index", "below %z", "%z", pool->count, index);
    if ((status = locusi_pool_check(pool, model, z, index, err))) return status;
    locusi_pool_store(pool, index, model, z);
    return LOCUS_OK;
}

LOCUS_API locus_status locus_pool_remove(locus_pool *pool, size_t index, locus_error *err)
{
    size_t behind, at;
    if (!pool) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "pool", "a pointer", "NULL");
    if (index >= pool->count)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "index", "below %z", "%z", pool->count, index);
    behind = pool->count - index - 1;
    if (pool->guard.model == index) pool->guard.model = SIZE_MAX;
    else if (pool->guard.model > index && pool->guard.model != SIZE_MAX) pool->guard.model--;
    locusi_pool_unname(pool, index);
    for (at = 0; at < pool->slot_count; at++) pool->slots[at] -= pool->slots[at] > index + 1;
    if (pool->coarse) locusi_screen_remove(pool, index);
    memmove(pool->models + index, pool->models + index + 1, behind * sizeof(locus_model));
    memmove(pool->z + index * pool->net->dp, pool->z + (index + 1) * pool->net->dp,
            behind * pool->net->dp * sizeof(float));
    memmove(pool->hidden + index * pool->net->gp, pool->hidden + (index + 1) * pool->net->gp,
            behind * pool->net->gp * sizeof(float));
    memmove(pool->calibration + index, pool->calibration + index + 1, behind * sizeof(locus_calibration));
    for (; pool->memory.landmarks && index + 1 < pool->count; index++) {
        size_t i;
        for (i = 0; i < pool->memory.landmarks; i++)
            *locusi_recall_at(pool, index, i) = *locusi_recall_at(pool, index + 1, i);
        pool->recall_base[index] = pool->recall_base[index + 1];
        pool->recalled[index] = pool->recalled[index + 1];
    }
    pool->count--;
    return LOCUS_OK;
}

LOCUS_API locus_calibration locus_pool_calibration(const locus_pool *pool, size_t index)
{
    locus_calibration none = {1.0f, 0.0f};
    if (!pool || !pool->calibrated) return none;
    return index < pool->count ? pool->calibration[index] : pool->calibration_shared;
}

LOCUS_API void locus_pool_uncalibrate(locus_pool *pool)
{
    size_t i;
    if (!pool) return;
    pool->calibrated = 0;
    pool->calibration_shared.scale = 1.0f;
    pool->calibration_shared.shift = 0.0f;
    for (i = 0; i < pool->count; i++) pool->calibration[i] = pool->calibration_shared;
}

LOCUS_API locus_guard locus_pool_guard(const locus_pool *pool)
{
    locus_guard guard = {SIZE_MAX, 0.0};
    if (pool && pool->guard.model < pool->count) guard = pool->guard;
    return guard;
}

LOCUS_API locus_status locus_pool_set_guard(locus_pool *pool, size_t model, double margin, locus_error *err)
{
    if (!pool) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "pool", "a pointer", "NULL");
    if (model == SIZE_MAX) {
        pool->guard.model = SIZE_MAX;
        return LOCUS_OK;
    }
    if (model >= pool->count)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "model", "below %z, or SIZE_MAX for none", "%z", pool->count,
                           model);
    if (!locusi_within(margin, 0.0, 1.0)) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "margin", "0 to 1", "%f", margin);
    pool->guard.model = model;
    pool->guard.margin = margin;
    return LOCUS_OK;
}

LOCUS_API locus_recall_info locus_pool_recall_info(const locus_pool *pool)
{
    locus_recall_info info;
    size_t i;
    memset(&info, 0, sizeof info);
    if (!pool->memory.landmarks) return info;
    info.landmarks = pool->memory.landmarks;
    info.queries = pool->memory.seen;
    info.weight = (double)pool->memory.weight;
    for (i = 0; i < pool->count; i++) info.models += pool->recalled[i] != 0;
    return info;
}

LOCUS_API void locus_pool_drop_recall(locus_pool *pool)
{
    if (!pool) return;
    if (pool->memory_block) LOCUS_FREE(pool->memory_block);
    pool->memory_block = NULL;
    memset(&pool->memory, 0, sizeof pool->memory);
}

LOCUS_API locus_status locus_pool_set_recall_weight(locus_pool *pool, double weight, locus_error *err)
{
    if (!pool || !pool->memory.landmarks)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "pool", "a pool with a memory", pool ? "one without" : "NULL");
    if (!locusi_within(weight, 0.0, 1.0)) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "weight", "0 to 1", "%f", weight);
    pool->memory.weight = (float)weight;
    return LOCUS_OK;
}

#ifndef LOCUS_INFERENCE_ONLY
// Encodings that a memory can take; e NULL: all rows, else those that a model has a score on.
LOCUSI_FN locus_status locusi_check_lengths(const locusi_recall *m, const locus_queries *q, const locus_evals *e,
                                            locus_error *err)
{
    const size_t stride = q->stride ? q->stride : q->dim;
    size_t i, c;
    for (i = 0; i < q->count; i++)
        for (c = 0; c < m->q && (c || !e || locusi_scored(e, i)); c++)
            if (!(locusi_finite(q->encodings[i * stride + c]) && fabsf(q->encodings[i * stride + c]) < 1e6f))
                return locusi_bad_encoding(q->encodings + i * stride, m->q, i, err);
    return LOCUS_OK;
}

// *out <- the evaluations without the rows that no model has a score on: those must not be looked at. *block: what
// *out stands in, NULL where every row is kept.
LOCUSI_FN locus_status locusi_evals_scored(const locus_evals *e, locus_evals *out, void **block, locus_error *err)
{
    const size_t n = e->queries.count, q = e->queries.dim, stride = e->queries.stride ? e->queries.stride : q;
    locusi_carver c = {NULL, 0, 0};
    float *rows = NULL, *scores = NULL, y = 0.0f;
    size_t i, j, m, kept = 0;
    int attempt;
    *out = *e;
    *block = NULL;
    for (i = 0; i < n; i++) kept += locusi_scored(e, i) != 0;
    if (kept == n) return LOCUS_OK;
    for (attempt = 0; attempt < 2; attempt++) {
        c.used = 0;
        rows = locusi_carve_floats(&c, kept, q);
        scores = locusi_carve_floats(&c, e->scores.models, kept);
        if (attempt) break;
        if (!c.failed) *block = LOCUS_MALLOC(c.used + 64);
        if (!*block) return locusi_fail(err, LOCUS_ERR_MEMORY, "memory", "%z bytes", "none", c.used);
        c.base = locusi_align(*block);
    }
    for (i = j = 0; i < n; i++) {
        if (!locusi_scored(e, i)) continue;
        memcpy(rows + j * q, e->queries.encodings + i * stride, q * sizeof(float));
        for (m = 0; m < e->scores.models; m++) scores[m * kept + j] = locusi_score(e, m, i, &y) ? y : locusi_nan();
        j++;
    }
    out->queries.encodings = rows;
    out->queries.count = kept;
    out->queries.stride = 0;
    out->scores.f32 = scores;
    out->scores.u8 = NULL;
    out->scores.mask = NULL;
    return LOCUS_OK;
}

// like: a memory whose ratios are taken over, and the queries are then not kept; or NULL
LOCUSI_FN locus_status locusi_pool_memorize(locus_pool *pool, const locus_evals *evals, const locus_recall_opts *opts,
                                            const locusi_recall *like, locus_error *err)
{
    locusi_recall learned;
    locusi_recall_fit fit;
    locus_evals scored;
    locus_queries all;
    locusi_carver c = {NULL, 0, 0};
    size_t m, i, bytes = 0;
    void *block = NULL, *scored_block;
    int attempt;
    locus_status status;
    if (!pool || !evals)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", pool ? "evals" : "pool");
    if (!pool->growable)
        return locusi_fail(err, LOCUS_ERR_MEMORY, "pool", "a pool on the heap", "one in the caller's memory");
    if ((status = locusi_check_evals(pool->net, evals, err))) return status;
    if (opts && !locusi_within(opts->weight, 0.0, 1.0))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "opts->weight", "0 to 1", "%f", opts->weight);
    if (evals->scores.models != pool->count)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "evals->models", "%z, the pool's", "%z", pool->count,
                           evals->scores.models);
    memset(&learned, 0, sizeof learned);
    memset(&fit, 0, sizeof fit);
    learned.q = pool->net->q;
    learned.rank = locusi_recall_rank(learned.q);
    learned.directions = pool->count < LOCUSI_RECALL_DIRECTIONS ? pool->count : LOCUSI_RECALL_DIRECTIONS;
    learned.weight = (float)LOCUSI_RECALL_WEIGHT;
    if (pool->net->info.recall_weight > 0.0) learned.weight = (float)pool->net->info.recall_weight;
    if (opts && opts->weight > 0.0) learned.weight = (float)opts->weight;
    if ((status = locusi_check_lengths(&learned, &evals->queries, evals, err))) return status;
    if (opts && opts->unlabelled.count) {
        if (opts->unlabelled.count >= UINT32_MAX)
            return locusi_fail(err, LOCUS_ERR_OVERFLOW, "opts->unlabelled", "fewer rows", "%z", opts->unlabelled.count);
        if ((status = locusi_check_queries(pool->net, &opts->unlabelled, err)) ||
            (status = locusi_check_lengths(&learned, &opts->unlabelled, NULL, err)))
            return status;
    }
    if ((status = locusi_evals_scored(evals, &scored, &scored_block, err))) return status;
    all = opts && opts->unlabelled.count ? opts->unlabelled : scored.queries;
    learned.landmarks = locusi_recall_landmarks(&scored.queries, &all);
    learned.seen = like ? 0 : scored.queries.count;
    if (like) memcpy(learned.ratio, like->ratio, sizeof learned.ratio);
    if (learned.directions > learned.landmarks / 4) learned.directions = learned.landmarks / 4; // scratch has that room
    for (attempt = 0; attempt < 2; attempt++) {
        c.used = 0;
        locusi_recall_carve(&learned, &c, 1);
        fit.rows = locusi_carve_floats(&c, pool->count, learned.landmarks);
        fit.base = locusi_carve_floats(&c, pool->count, 1);
        if (attempt) break;
        if (!c.failed && locusi_add(c.used, 64, &bytes)) block = LOCUS_MALLOC(bytes);
        if (!block) {
            if (scored_block) LOCUS_FREE(scored_block);
            return locusi_fail(err, LOCUS_ERR_MEMORY, "memory", "%z bytes", "none", c.used);
        }
        memset(block, 0, bytes);
        c.base = locusi_align(block);
    }
    status = locusi_recall_fit_to(&learned, pool->net->kernels, &scored, &all, &fit, err);
    if (!status) {
        const locusi_recall before = pool->memory;
        void *const block_before = pool->memory_block;
        float *const recall_before = pool->recall;
        pool->memory_block = NULL;
        status = locusi_pool_make_recall(pool, &learned, err);
        if (!status) status = locusi_pool_grow(pool, pool->capacity, err);
        if (status) { // as it was
            if (pool->memory_block) LOCUS_FREE(pool->memory_block);
            pool->memory = before;
            pool->memory_block = block_before;
            pool->recall = recall_before;
        } else {
            locusi_recall *to = &pool->memory;
            if (block_before) LOCUS_FREE(block_before);
            locusi_recall_copy(to, &learned);
            locusi_recall_pack(to, pool->net->kernels);
            for (m = 0; m < pool->count; m++) {
                for (i = 0; i < to->landmarks; i++) *locusi_recall_at(pool, m, i) = fit.rows[m * to->landmarks + i];
                pool->recall_base[m] = fit.base[m];
                pool->recalled[m] = 1;
            }
        }
    }
    if (scored_block) LOCUS_FREE(scored_block);
    LOCUS_FREE(block);
    return status;
}

LOCUS_API locus_status locus_pool_learn_recall(locus_pool *pool, const locus_evals *evals,
                                               const locus_recall_opts *opts, locus_error *err)
{
    return locusi_pool_memorize(pool, evals, opts, NULL, err);
}

LOCUS_API locus_status locus_pool_recall_model(locus_pool *pool, size_t index, const locus_evals *evals,
                                               locus_error *err)
{
    float row[LOCUSI_RECALL_LANDMARKS];
    size_t i;
    locus_status status;
    memset(row, 0, sizeof row); // without a heap gcc warns of it, though it is then never read
    if (!pool || !evals)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", pool ? "evals" : "pool");
    if (index >= pool->count)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "index", "below %z", "%z", pool->count, index);
    if (!pool->memory.landmarks)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "pool", "a pool with a memory (locus_pool_learn_recall)",
                           "one without");
    if (evals->scores.models != 1)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "evals->models", "1", "%z", evals->scores.models);
    if ((status = locusi_check_evals(pool->net, evals, err)) ||
        (status = locusi_check_lengths(&pool->memory, &evals->queries, evals, err)) ||
        (status = locusi_recall_add(&pool->memory, pool->net->kernels, evals, row, &pool->recall_base[index], err)))
        return status;
    for (i = 0; i < pool->memory.landmarks; i++) *locusi_recall_at(pool, index, i) = row[i];
    pool->recalled[index] = 1;
    return LOCUS_OK;
}
#endif

// ---- reading

// The sizes of a file's memory, all of its tensors checked; landmarks 0: the file has none.
LOCUSI_FN locus_status locusi_recall_sizes(const locus_safetensors *st, const locus_net *net, size_t models,
                                           locusi_recall *m, locus_error *err)
{
    static const char *const names[LOCUSI_RECALL_TENSORS] = {"memory.map",      "memory.map_bias", "memory.landmarks",
                                                             "memory.shared",   "memory.rows",     "memory.base",
                                                             "memory.recalled", "memory.known",    "memory.difficulty",
                                                             "memory.scalars",  "memory.items",    "memory.directions"};
    const locus_tensor *points = locus_safetensors_find(st, names[2]), *known = locus_safetensors_find(st, names[7]);
    const locus_tensor *scalars = locus_safetensors_find(st, names[9]), *map = locus_safetensors_find(st, names[0]);
    const locus_tensor *directions = locus_safetensors_find(st, names[11]);
    size_t i, j, present = 0, surplus = 0;
    memset(m, 0, sizeof *m);
    for (i = 0; i < st->tensor_count; i++) surplus += locusi_starts(st->tensors[i].name, "memory.") != 0;
    if (!surplus) return LOCUS_OK;
    m->q = net->q;
    m->rank = map && map->rank == 2 ? map->shape[0] : 16;
    m->directions = directions && directions->rank == 2 ? directions->shape[0] : 0;
    m->logits = scalars && scalars->count == 2; // a file of version 0.2 or 0.3
    m->landmarks = points && points->rank == 2 ? points->shape[0] : 16;
    m->seen = known && known->rank == 1 ? known->shape[0] : 0;
    if (m->landmarks == 0 || m->landmarks % 16 || m->landmarks > LOCUSI_RECALL_LANDMARKS)
        return locusi_fail(err, LOCUS_ERR_POOL, "memory.landmarks", "a multiple of 16 up to %z", "%z",
                           LOCUSI_RECALL_LANDMARKS, m->landmarks);
    if (m->rank == 0 || m->rank % 16 || m->rank > LOCUSI_RECALL_RANK)
        return locusi_fail(err, LOCUS_ERR_POOL, "memory.map", "a multiple of 16 up to %z rows", "%z",
                           LOCUSI_RECALL_RANK, m->rank);
    if (m->directions > LOCUSI_RECALL_DIRECTIONS)
        return locusi_fail(err, LOCUS_ERR_POOL, "memory.directions", "at most %z rows", "%z", LOCUSI_RECALL_DIRECTIONS,
                           m->directions);
    for (i = 0; i < LOCUSI_RECALL_TENSORS; i++) {
        const size_t p = m->landmarks;
        const size_t shape[LOCUSI_RECALL_TENSORS][2] = {
            {m->rank, m->q},  {m->rank, 1},      {p, m->rank}, {p, 1},       {models, p},
            {models, 1},      {models, 1},       {m->seen, 1}, {m->seen, 1}, {m->logits ? 2 : LOCUSI_RECALL_SCALARS, 1},
            {m->seen + 1, 2}, {m->directions, p}};
        const size_t rank = i == 0 || i == 2 || i == 4 || i >= 10 ? 2 : 1;
        const locus_dtype type = i == 6 ? LOCUS_U8 : i == 7 ? LOCUS_I64 : LOCUS_F32;
        const locus_tensor *t = locus_safetensors_find(st, names[i]);
        if (!t && i >= 10) continue; // not all files have these
        if (!t) return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "this tensor", "none", names[i]);
        present++;
        if (t->rank != rank || t->shape[0] != shape[i][0] || (rank == 2 && t->shape[1] != shape[i][1])) {
            char want[64], have[64];
            locusi_shape_text(want, sizeof want, rank, shape[i]);
            locusi_shape_text(have, sizeof have, t->rank, t->shape);
            return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "%s", "%s", names[i], want, have);
        }
        if (t->dtype != type)
            return locusi_fail(err, LOCUS_ERR_UNSUPPORTED, "%s", "%s", "%s", names[i],
                               type == LOCUS_U8    ? "U8"
                               : type == LOCUS_I64 ? "I64"
                                                   : "F32",
                               t->dtype_name);
        for (j = 0; type == LOCUS_F32 && j < t->count; j++) {
            const float x = locusi_f32_from(locusi_le32((const unsigned char *)t->data + 4 * j));
            if (!(locusi_finite(x) && fabsf(x) < 1e12f))
                return locusi_fail(err, LOCUS_ERR_POOL, "%s[%z]", "a finite number", "%f", names[i], j, (double)x);
        }
    }
    if (present != surplus)
        for (i = 0; i < st->tensor_count; i++) {
            for (j = 0; j < LOCUSI_RECALL_TENSORS && strcmp(st->tensors[i].name, names[j]); j++) {}
            if (j == LOCUSI_RECALL_TENSORS && locusi_starts(st->tensors[i].name, "memory."))
                return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "no such tensor", "this", st->tensors[i].name);
        }
    return LOCUS_OK;
}

// The memory's numbers out of checked tensors into a pool that has the room.
LOCUSI_FN void locusi_recall_read(locus_pool *pool, const locus_safetensors *st, size_t models)
{
    locusi_recall *m = &pool->memory;
    const locus_tensor *map = locus_safetensors_find(st, "memory.map"),
                       *rows = locus_safetensors_find(st, "memory.rows");
    const unsigned char *known = (const unsigned char *)locus_safetensors_find(st, "memory.known")->data;
    const unsigned char *recalled = (const unsigned char *)locus_safetensors_find(st, "memory.recalled")->data;
    const locus_tensor *items = locus_safetensors_find(st, "memory.items");
    float scalars[LOCUSI_RECALL_SCALARS] = {0.0f};
    size_t i, j;
    for (i = 0; i < m->rank; i++)
        for (j = 0; j < m->q; j++) locus_tensor_to_f32(map, i * m->q + j, 1, m->map + locusi_packed(i, j, m->q), NULL);
    locusi_vector(locus_safetensors_find(st, "memory.map_bias"), m->map_bias);
    locusi_vector(locus_safetensors_find(st, "memory.landmarks"), m->points);
    locusi_vector(locus_safetensors_find(st, "memory.shared"), m->shared);
    locusi_vector(locus_safetensors_find(st, "memory.difficulty"), m->difficulty);
    locusi_vector(locus_safetensors_find(st, "memory.base"), pool->recall_base);
    locusi_vector(locus_safetensors_find(st, "memory.scalars"), scalars);
    m->weight = scalars[0] >= 0.0f && scalars[0] <= 1.0f ? scalars[0] : 0.5f;
    m->mean = scalars[1] > 0.0f && scalars[1] < 1.0f ? (double)scalars[1] : 0.5;
    m->pull = m->logits ? 13.0 : locusi_clamp((double)scalars[2], 0.0, 1e6); // what version 0.3 took for every pool
    m->own = m->logits ? 0.031 : locusi_clamp((double)scalars[3], 1e-6, 10.0);
    m->noise = m->logits ? 0.62 : locusi_clamp((double)scalars[4], 1e-2, 10.0);
    m->rest = m->logits ? 1.0 : locusi_clamp((double)scalars[5], 1e-3, 10.0);
    if (m->directions) locusi_vector(locus_safetensors_find(st, "memory.directions"), m->direction);
    m->spread = 0.0;
    if (items) {
        locus_tensor_to_f32(items, 0, 2 * m->seen, m->items, NULL);
        locus_tensor_to_f32(items, 2 * m->seen, 2, scalars, NULL);
        m->ability = locusi_clamp((double)scalars[0], -20.0, 20.0);
        m->spread = locusi_clamp((double)scalars[1], 0.1, 10.0);
    }
    for (i = 0; i < m->seen; i++) m->known[i] = locusi_le64(known + 8 * i);
    for (i = 0; i < models; i++) {
        pool->recalled[i] = recalled[i] != 0;
        for (j = 0; j < m->landmarks; j++)
            locus_tensor_to_f32(rows, i * m->landmarks + j, 1, locusi_recall_at(pool, i, j), NULL);
    }
    locusi_recall_pack(m, pool->net->kernels);
}

// A tensor of the pool with one entry for each model.
LOCUSI_FN locus_status locusi_pool_tensor(const locus_safetensors *st, const char *name, locus_dtype dtype, size_t rank,
                                          size_t models, size_t width, const locus_tensor **out, locus_error *err)
{
    const locus_tensor *t = locus_safetensors_find(st, name);
    const size_t shape[2] = {models, width};
    if (!t) return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "this tensor", "none", name);
    if (t->rank != rank || (models != SIZE_MAX && t->shape[0] != models) || (rank == 2 && t->shape[1] != width)) {
        char want[64], have[64];
        locusi_shape_text(want, sizeof want, rank, shape);
        locusi_shape_text(have, sizeof have, t->rank, t->shape);
        return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "%s", "%s", name, models == SIZE_MAX ? "one dimension" : want,
                           have);
    }
    if (t->dtype != dtype && !(dtype == LOCUS_F64 && t->dtype == LOCUS_F32)) // costs were F32 until version 0.3
        return locusi_fail(err, LOCUS_ERR_UNSUPPORTED, "%s", "%s", "%s", name,
                           dtype == LOCUS_U8    ? "U8"
                           : dtype == LOCUS_I64 ? "I64"
                           : dtype == LOCUS_F64 ? "F64"
                                                : "F32",
                           t->dtype_name);
    *out = t;
    return LOCUS_OK;
}

// The calibration in a file: *t, or NULL where the file has none.
LOCUSI_FN locus_status locusi_pool_calibration_tensor(const locus_safetensors *st, size_t models,
                                                      const locus_tensor **t, locus_error *err)
{
    static const char *const name = "pool.calibration";
    size_t i, j;
    locus_status status;
    *t = NULL;
    if (!locus_safetensors_find(st, name)) return LOCUS_OK;
    if ((status = locusi_pool_tensor(st, name, LOCUS_F32, 2, models + 1, 2, t, err))) return status;
    for (i = 0; i <= models; i++)
        for (j = 0; j < 2; j++) {
            const float x = locusi_f32_from(locusi_le32((const unsigned char *)(*t)->data + 4 * (2 * i + j)));
            if (!(locusi_finite(x) && fabsf(x) <= LOCUSI_CALIBRATION_MOST && (j == 1 || x > 0.0f)))
                return locusi_fail(err, LOCUS_ERR_POOL, "%s[%z, %z]", "%s", "%f", name, i, j,
                                   j ? "-100 to 100" : "above 0, up to 100", (double)x);
        }
    return LOCUS_OK;
}

// Element i of a checked tensor, F64 or F32.
LOCUSI_FN double locusi_tensor_f64(const locus_tensor *t, size_t i)
{
    const unsigned char *p = (const unsigned char *)t->data + i * locusi_dtype_bytes(t->dtype);
    return t->dtype == LOCUS_F64 ? locusi_f64_from(locusi_le64(p)) : (double)locusi_f32_from(locusi_le32(p));
}

// The guard in a file; none where the file has none.
LOCUSI_FN locus_status locusi_pool_read_guard(const locus_safetensors *st, size_t models, locus_guard *guard,
                                              locus_error *err)
{
    static const char *const name = "pool.guard";
    const locus_tensor *t;
    double index;
    locus_status status;
    guard->model = SIZE_MAX;
    guard->margin = 0.0;
    if (!locus_safetensors_find(st, name)) return LOCUS_OK;
    if ((status = locusi_pool_tensor(st, name, LOCUS_F64, 1, 2, 1, &t, err))) return status;
    index = locusi_tensor_f64(t, 0);
    guard->margin = locusi_tensor_f64(t, 1);
    if (!(locusi_within(index, 0.0, (double)models) && index < (double)models && floor(index) >= index))
        return locusi_fail(err, LOCUS_ERR_POOL, "%s[0]", "the index of one of %z models", "%f", name, models, index);
    if (!locusi_within(guard->margin, 0.0, 1.0))
        return locusi_fail(err, LOCUS_ERR_POOL, "%s[1]", "a margin of 0 to 1", "%f", name, guard->margin);
    guard->model = (size_t)index;
    return LOCUS_OK;
}

LOCUSI_FN void locusi_pool_read_calibration(locus_pool *pool, const locus_tensor *t)
{
    float pair[2];
    size_t i;
    for (i = 0; i <= pool->count; i++) {
        locus_calibration *to = i < pool->count ? &pool->calibration[i] : &pool->calibration_shared;
        *to = pool->calibration_shared;
        if (!t) continue;
        locus_tensor_to_f32(t, 2 * i, 2, pair, NULL);
        to->scale = pair[0];
        to->shift = pair[1];
    }
    pool->calibrated = t != NULL;
}

// Copy one model out of the file's tensors. z: [d] space. *names moves on to the next name.
LOCUSI_FN locus_status locusi_pool_read(const locus_tensor *const t[6], size_t i, size_t d, const char **names,
                                        locus_model *model, float *z, locus_error *err)
{
    const char *end = (const char *)t[1]->data + t[1]->bytes, *stop = *names;
    size_t length;
    locus_status status;
    memset(model, 0, sizeof *model);
    while (stop < end && *stop) stop++;
    length = (size_t)(stop - *names);
    if (stop == end || length >= sizeof model->name)
        return locusi_fail(err, LOCUS_ERR_NAME, "pool.names", "a name of at most %z bytes for model %z", "another",
                           sizeof model->name - 1, i);
    memcpy(model->name, *names, length);
    *names = stop + 1;
    model->available = ((const unsigned char *)t[4]->data)[i] != 0;
    model->evaluations = locusi_le64((const unsigned char *)t[5]->data + 8 * i);
    if ((status = locus_tensor_to_f32(t[2], i, 1, &model->parameters_b, err))) return status;
    model->cost = locusi_tensor_f64(t[3], i);
    return locus_tensor_to_f32(t[0], i * d, d, z, err);
}

// Everything about a pool's file but the values of its models: tensors t, the calibration's (or NULL), the guard, the
// memory's sizes.
LOCUSI_FN locus_status locusi_pool_check_file(const locus_net *net, const locus_safetensors *st,
                                              const locus_tensor *t[6], const locus_tensor **calibration,
                                              locus_guard *guard, locusi_recall *plan, locus_error *err)
{
    static const char *const tensor[6] = {"pool.embeddings", "pool.names",     "pool.parameters_b",
                                          "pool.cost",       "pool.available", "pool.evaluations"};
    static const locus_dtype dtype[6] = {LOCUS_F32, LOCUS_U8, LOCUS_F32, LOCUS_F64, LOCUS_U8, LOCUS_I64};
    const char *text;
    uint64_t hash;
    size_t i, m;
    locus_status status;
    if (!locus_safetensors_find(st, tensor[0]))
        return locusi_fail(err, LOCUS_ERR_NO_POOL, "%s", "this tensor", "none", tensor[0]);
    for (i = 0; i < st->tensor_count; i++) {
        const char *name = st->tensors[i].name;
        for (m = 0; m < 6 && strcmp(name, tensor[m]); m++) {}
        if (m == 6 && strcmp(name, "pool.calibration") && strcmp(name, "pool.guard") &&
            !locusi_starts(name, "encoder.") && !locusi_starts(name, "decoder.") && !locusi_starts(name, "memory.") &&
            !locusi_starts(name, "text."))
            return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "no such tensor", "this", name);
    }
    text = locus_safetensors_meta(st, "locus.format");
    if (!text || strcmp(text, "1"))
        return locusi_fail(err, LOCUS_ERR_METADATA, "locus.format", "\"1\"", "%s", text ? text : "no entry");
    text = locus_safetensors_meta(st, "locus.net_hash");
    if (!text || !locusi_parse_hash(text, &hash))
        return locusi_fail(err, LOCUS_ERR_METADATA, "locus.net_hash", "16 hex digits", "%s", text ? text : "no entry");
    if (hash != net->info.hash)
        return locusi_fail(err, LOCUS_ERR_MISMATCH, "locus.net_hash", "%x, this net's", "%x", net->info.hash, hash);
    text = locus_safetensors_meta(st, "locus.q_dim");
    {
        char want[24] = "";
        locusi_text(want, sizeof want, "%z", net->q);
        if (!text || strcmp(text, want))
            return locusi_fail(err, LOCUS_ERR_QUERY_DIM, "locus.q_dim", "%s", "%s", want, text ? text : "no entry");
    }
    for (i = 0; i < 6; i++)
        if ((status = locusi_pool_tensor(st, tensor[i], dtype[i], i == 0 ? 2 : 1,
                                         i == 0   ? locus_safetensors_find(st, tensor[0])->shape[0]
                                         : i == 1 ? SIZE_MAX
                                                  : t[0]->shape[0],
                                         net->d, &t[i], err)))
            return status;
    text = locus_safetensors_meta(st, "locus.query_encoder");
    if ((status = locusi_check_query_encoder(net, &text, err)) ||
        (status = locusi_pool_calibration_tensor(st, t[0]->shape[0], calibration, err)) ||
        (status = locusi_pool_read_guard(st, t[0]->shape[0], guard, err)))
        return status;
    return locusi_recall_sizes(st, net, t[0]->shape[0], plan, err);
}

LOCUS_API size_t locus_pool_load_memory(const locus_net *net, const locus_safetensors *st)
{
    const locus_tensor *t[6], *calibration;
    locus_guard guard;
    locusi_recall plan;
    if (!net || !st || locusi_pool_check_file(net, st, t, &calibration, &guard, &plan, NULL)) return 0;
    return locusi_pool_bytes(net, t[0]->shape[0], &plan);
}

LOCUS_API locus_status locus_pool_load(locus_pool **out, const locus_net *net, const locus_safetensors *st,
                                       void *memory, size_t memory_bytes, locus_error *err)
{
    const locus_tensor *t[6], *calibration;
    const char *names;
    locus_guard guard;
    locus_pool *pool;
    locusi_recall plan;
    size_t i, m;
    locus_status status;
    if (!out || !net || !st)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", !out ? "out" : !net ? "net" : "st");
    *out = NULL;
    if ((status = locusi_pool_check_file(net, st, t, &calibration, &guard, &plan, err))) return status;
    m = t[0]->shape[0];
    if ((status = locusi_pool_create(&pool, net, m, locus_safetensors_meta(st, "locus.query_encoder"), &plan, memory,
                                     memory_bytes, err)))
        return status;
    names = (const char *)t[1]->data;
    for (i = 0; i < m && !status; i++) { // the pool counts 0 models meanwhile: names are compared below
        float *z = pool->z + i * net->dp;
        locus_model model;
        status = locusi_pool_read(t, i, net->d, &names, &model, z, err);
        if (!status) status = locusi_pool_check(pool, &model, z, SIZE_MAX, err);
        if (!status) {
            memset(z + net->d, 0, (net->dp - net->d) * sizeof(float));
            pool->models[i] = model;
        }
    }
    if (!status && names != (const char *)t[1]->data + t[1]->bytes)
        status = locusi_fail(err, LOCUS_ERR_NAME, "pool.names", "%z names", "more", m);
    for (; !status && pool->count < m; pool->count++) {
        const char *name = pool->models[pool->count].name;
        if (locus_pool_find(pool, name) != SIZE_MAX)
            status = locusi_fail(err, LOCUS_ERR_NAME, "pool.names", "each name once", "\"%s\" twice", name);
        else locusi_pool_name(pool, pool->count);
    }
    if (status) {
        locus_pool_destroy(pool);
        return status;
    }
    if (m)
        locusi_matmul_run(net->kernels, pool->z, net->dp, m, net->d, net->hz, net->gp, pool->hidden, net->gp,
                          net->h_bias, NULL, 0, 0);
    pool->count = m;
    pool->guard = guard;
    locusi_pool_read_calibration(pool, calibration);
    for (i = 0; pool->coarse && i < m; i++) locusi_screen_store(pool, i);
    if (plan.landmarks) locusi_recall_read(pool, st, m);
    *out = pool;
    return LOCUS_OK;
}

#ifndef LOCUS_INFERENCE_ONLY
LOCUSI_FN void locusi_put32(unsigned char *p, uint32_t v)
{
    int i;
    for (i = 0; i < 4; i++) p[i] = (unsigned char)(v >> 8 * i);
}

LOCUSI_FN void locusi_put64(unsigned char *p, uint64_t v)
{
    locusi_put32(p, (uint32_t)v);
    locusi_put32(p + 4, (uint32_t)(v >> 32));
}

LOCUSI_FN void locusi_tensor_set(locus_tensor *t, const char *name, locus_dtype dtype, size_t rank, size_t a, size_t b,
                                 const void *data)
{
    memset(t, 0, sizeof *t);
    t->name = name;
    t->dtype = dtype;
    t->rank = rank;
    t->shape[0] = a;
    t->shape[1] = b;
    t->data = data;
}
#endif

#ifndef LOCUS_NO_STDIO
LOCUS_API locus_status locus_pool_open(locus_pool **out, const locus_net *net, const char *path, locus_error *err)
{
    locus_safetensors st;
    locus_status status;
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    *out = NULL;
    if ((status = locus_safetensors_open(&st, path, err))) return status;
    status = locus_pool_load(out, net, &st, NULL, 0, err);
    locus_safetensors_close(&st);
    return status;
}

#ifndef LOCUS_INFERENCE_ONLY
LOCUSI_FN void locusi_recall_save_carve(const locus_pool *pool, locusi_carver *c, unsigned char *to[11])
{
    const locusi_recall *m = &pool->memory;
    const size_t floats[10] = {
        m->rank * m->q, m->rank, m->landmarks * m->rank, m->landmarks,      m->landmarks * pool->count,
        pool->count,    m->seen, LOCUSI_RECALL_SCALARS,  2 * (m->seen + 1), m->directions * m->landmarks};
    size_t i;
    for (i = 0; i < 10; i++) to[i] = (unsigned char *)locusi_carve(c, m->landmarks ? floats[i] : 0, 4);
    to[10] = (unsigned char *)locusi_carve(c, m->landmarks ? m->seen : 0, 8);
}

LOCUSI_FN void locusi_put_floats(unsigned char *to, const float *from, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) locusi_put32(to + 4 * i, locusi_f32_bits(from[i]));
}

// The memory's tensors; returns how many.
LOCUSI_FN size_t locusi_recall_save(const locus_pool *pool, unsigned char *const to[11], locus_tensor *t)
{
    const locusi_recall *m = &pool->memory;
    const float scalars[LOCUSI_RECALL_SCALARS] = {m->weight,     (float)m->mean,  (float)m->pull,
                                                  (float)m->own, (float)m->noise, (float)m->rest};
    const float abilities[2] = {(float)m->ability, (float)m->spread};
    size_t i, j, count = LOCUSI_RECALL_TENSORS - 2;
    for (i = 0; i < m->rank; i++)
        for (j = 0; j < m->q; j++) locusi_put_floats(to[0] + 4 * (i * m->q + j), m->map + locusi_packed(i, j, m->q), 1);
    locusi_put_floats(to[1], m->map_bias, m->rank);
    locusi_put_floats(to[2], m->points, m->landmarks * m->rank);
    locusi_put_floats(to[3], m->shared, m->landmarks);
    for (i = 0; i < pool->count; i++)
        for (j = 0; j < m->landmarks; j++)
            locusi_put_floats(to[4] + 4 * (i * m->landmarks + j), locusi_recall_at(pool, i, j), 1);
    locusi_put_floats(to[5], pool->recall_base, pool->count);
    locusi_put_floats(to[6], m->difficulty, m->seen);
    locusi_put_floats(to[7], scalars, LOCUSI_RECALL_SCALARS);
    locusi_put_floats(to[8], m->items, 2 * m->seen);
    locusi_put_floats(to[8] + 8 * m->seen, abilities, 2);
    for (i = 0; i < m->seen; i++) {
        locusi_put32(to[10] + 8 * i, (uint32_t)m->known[i]);
        locusi_put32(to[10] + 8 * i + 4, (uint32_t)(m->known[i] >> 32));
    }
    locusi_tensor_set(&t[0], "memory.map", LOCUS_F32, 2, m->rank, m->q, to[0]);
    locusi_tensor_set(&t[1], "memory.map_bias", LOCUS_F32, 1, m->rank, 1, to[1]);
    locusi_tensor_set(&t[2], "memory.landmarks", LOCUS_F32, 2, m->landmarks, m->rank, to[2]);
    locusi_tensor_set(&t[3], "memory.shared", LOCUS_F32, 1, m->landmarks, 1, to[3]);
    locusi_tensor_set(&t[4], "memory.rows", LOCUS_F32, 2, pool->count, m->landmarks, to[4]);
    locusi_tensor_set(&t[5], "memory.base", LOCUS_F32, 1, pool->count, 1, to[5]);
    locusi_tensor_set(&t[6], "memory.recalled", LOCUS_U8, 1, pool->count, 1, pool->recalled);
    locusi_tensor_set(&t[7], "memory.known", LOCUS_I64, 1, m->seen, 1, to[10]);
    locusi_tensor_set(&t[8], "memory.difficulty", LOCUS_F32, 1, m->seen, 1, to[6]);
    locusi_tensor_set(&t[9], "memory.scalars", LOCUS_F32, 1, m->logits ? 2 : LOCUSI_RECALL_SCALARS, 1, to[7]);
    if (m->spread > 0.0) locusi_tensor_set(&t[count++], "memory.items", LOCUS_F32, 2, m->seen + 1, 2, to[8]);
    if (m->directions) {
        locusi_put_floats(to[9], m->direction, m->directions * m->landmarks);
        locusi_tensor_set(&t[count++], "memory.directions", LOCUS_F32, 2, m->directions, m->landmarks, to[9]);
    }
    return count;
}

LOCUS_API locus_status locus_pool_save(const locus_pool *pool, const char *path, locus_save_what what,
                                       const locus_safetensors *net_file, locus_error *err)
{
    const locus_net *net;
    const size_t net_tensors = what != LOCUS_SAVE_POOL && net_file ? net_file->tensor_count : 0;
    const size_t net_metadata = what != LOCUS_SAVE_POOL && net_file ? net_file->metadata_count : 0;
    locusi_carver c = {NULL, 0, 0};
    unsigned char *z = NULL, *parameters = NULL, *cost = NULL, *available = NULL, *evaluations = NULL, *names = NULL;
    unsigned char *memory[11], *calibration = NULL, guard[16];
    locus_tensor *tensors = NULL;
    locus_metadata *metadata = NULL;
    char hash[24], encoder_hash[24], q_dim[24];
    size_t m, i, j, name_bytes = 0, tensor_count = 0, metadata_count = 0;
    void *block = NULL;
    int attempt;
    locus_status status;
    if (!pool || !path) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", pool ? "path" : "pool");
    if (what < LOCUS_SAVE_POOL || what > LOCUS_SAVE_EVERYTHING)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "what", "a locus_save_what", "%d", (int)what);
    net = pool->net;
    m = pool->count;
    if (what != LOCUS_SAVE_POOL) {
        locus_net check;
        if (!net_file)
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "net_file", "the file that the net came from", "NULL");
        if ((status = locusi_net_sizes(&check, net_file, 0, err)) || (status = locusi_net_hash(&check, net_file, err)))
            return status;
        if (check.info.hash != net->info.hash)
            return locusi_fail(err, LOCUS_ERR_MISMATCH, "net_file", "hash %x, of the pool's net", "%x", net->info.hash,
                               check.info.hash);
        if (what == LOCUS_SAVE_EVERYTHING && !check.info.has_encoder)
            return locusi_fail(err, LOCUS_ERR_NO_ENCODER, "net_file", "a file with the encoder", "the predictor alone");
    }
    for (i = 0; i < m; i++) name_bytes += strlen(pool->models[i].name) + 1;
    for (attempt = 0; attempt < 2; attempt++) { // count, then place
        size_t bytes;
        c.used = 0;
        z = (unsigned char *)locusi_carve(&c, m * net->d, 4);
        parameters = (unsigned char *)locusi_carve(&c, m, 4);
        cost = (unsigned char *)locusi_carve(&c, m, 8);
        available = (unsigned char *)locusi_carve(&c, m, 1);
        evaluations = (unsigned char *)locusi_carve(&c, m, 8);
        names = (unsigned char *)locusi_carve(&c, name_bytes, 1);
        calibration = (unsigned char *)locusi_carve(&c, m + 1, 8);
        locusi_recall_save_carve(pool, &c, memory);
        tensors = (locus_tensor *)locusi_carve(&c, net_tensors + 24, sizeof(locus_tensor));
        metadata = (locus_metadata *)locusi_carve(&c, net_metadata + 5, sizeof(locus_metadata));
        if (attempt) break;
        if (!c.failed && locusi_add(c.used, 64, &bytes)) block = LOCUS_MALLOC(bytes);
        if (!block) return locusi_fail(err, LOCUS_ERR_MEMORY, "pool", "%z bytes", "none", c.used);
        c.base = locusi_align(block);
    }
    for (i = 0; i < m; i++) {
        const locus_model *model = &pool->models[i];
        for (j = 0; j < net->d; j++) locusi_put32(z + 4 * (i * net->d + j), locusi_f32_bits(pool->z[i * net->dp + j]));
        locusi_put32(parameters + 4 * i, locusi_f32_bits(model->parameters_b));
        locusi_put64(cost + 8 * i, locusi_f64_bits(model->cost));
        available[i] = (unsigned char)(model->available != 0);
        locusi_put32(evaluations + 8 * i, (uint32_t)model->evaluations);
        locusi_put32(evaluations + 8 * i + 4, (uint32_t)(model->evaluations >> 32));
        memcpy(names, model->name, strlen(model->name) + 1);
        names += strlen(model->name) + 1;
    }
    names -= name_bytes;
    for (i = 0; i < net_tensors; i++) {
        const char *name = net_file->tensors[i].name;
        if (locusi_starts(name, "decoder.") || locusi_starts(name, "text.") ||
            (what == LOCUS_SAVE_EVERYTHING && locusi_starts(name, "encoder.")))
            tensors[tensor_count++] = net_file->tensors[i];
    }
    locusi_tensor_set(&tensors[tensor_count++], "pool.embeddings", LOCUS_F32, 2, m, net->d, z);
    locusi_tensor_set(&tensors[tensor_count++], "pool.names", LOCUS_U8, 1, name_bytes, 1, names);
    locusi_tensor_set(&tensors[tensor_count++], "pool.parameters_b", LOCUS_F32, 1, m, 1, parameters);
    locusi_tensor_set(&tensors[tensor_count++], "pool.cost", LOCUS_F64, 1, m, 1, cost);
    locusi_tensor_set(&tensors[tensor_count++], "pool.available", LOCUS_U8, 1, m, 1, available);
    locusi_tensor_set(&tensors[tensor_count++], "pool.evaluations", LOCUS_I64, 1, m, 1, evaluations);
    if (pool->calibrated) {
        for (i = 0; i <= m; i++) {
            const locus_calibration pair = locus_pool_calibration(pool, i);
            locusi_put32(calibration + 8 * i, locusi_f32_bits(pair.scale));
            locusi_put32(calibration + 8 * i + 4, locusi_f32_bits(pair.shift));
        }
        locusi_tensor_set(&tensors[tensor_count++], "pool.calibration", LOCUS_F32, 2, m + 1, 2, calibration);
    }
    if (pool->guard.model < m) {
        locusi_put64(guard, locusi_f64_bits((double)pool->guard.model));
        locusi_put64(guard + 8, locusi_f64_bits(pool->guard.margin));
        locusi_tensor_set(&tensors[tensor_count++], "pool.guard", LOCUS_F64, 1, 2, 1, guard);
    }
    if (pool->memory.landmarks) tensor_count += locusi_recall_save(pool, memory, tensors + tensor_count);
    for (i = 0; i < net_metadata; i++)
        if (!locusi_starts(net_file->metadata[i].key, "locus.")) metadata[metadata_count++] = net_file->metadata[i];
    locusi_text(hash, sizeof hash, "%x", net->info.hash);
    locusi_text(encoder_hash, sizeof encoder_hash, "%x", net->info.encoder_hash);
    locusi_text(q_dim, sizeof q_dim, "%z", net->q);
    metadata[metadata_count].key = "locus.format";
    metadata[metadata_count++].value = "1";
    metadata[metadata_count].key = "locus.net_hash";
    metadata[metadata_count++].value = hash;
    metadata[metadata_count].key = "locus.query_encoder";
    metadata[metadata_count++].value = pool->query_encoder;
    metadata[metadata_count].key = "locus.q_dim";
    metadata[metadata_count++].value = q_dim;
    if (what != LOCUS_SAVE_POOL) {
        metadata[metadata_count].key = "locus.encoder_hash";
        metadata[metadata_count++].value = encoder_hash;
    }
    status = locus_safetensors_save(path, tensors, tensor_count, metadata, metadata_count, err);
    LOCUS_FREE(block);
    return status;
}
#endif
#endif

// ----------------------------------------------------------------------------------------------------- >>predictor
//
// logit = w · ReLU(W_z z + W_u u + W_zu (z ∘ u) + b) + c. W_z z + b is kept for each model; for each query u and W_u u
// are computed once, and W_zu with its columns scaled by u, so that all models are one matrix product z (W_zu
// diag(u))^T.

LOCUS_API double locus_probability(double logit)
{
    if (logit >= 0.0) return 1.0 / (1.0 + exp(-logit));
    logit = exp(logit);
    return logit / (1.0 + logit);
}

#define LOCUSI_QUERY_TILE ((size_t)24)
#define LOCUSI_MODEL_TILE ((size_t)96)

typedef struct locusi_predict_scratch {
    float *u, *hu;               // [QUERY_TILE, dp], [QUERY_TILE, gp]
    float *scaled;               // packed [d -> gp]
    float *hidden;               // [MODEL_TILE, gp]
    float *x, *kernels, *recall; // memory: [QUERY_TILE, rank], [QUERY_TILE, landmarks], [QUERY_TILE, MODEL_TILE]
    size_t mine;
} locusi_predict_scratch;

typedef struct locusi_predict_job {
    const locus_pool *pool;
    const locus_queries *queries;
    float *logits;
    size_t stride, workers, query_tile, model_tile, query_tiles, model_tiles;
    locusi_predict_scratch *scratch;
    locusi_counter counter;
    int bad; // 1: an encoding or a logit is not finite
} locusi_predict_job;

LOCUSI_FN void locusi_predict_plan(locusi_predict_job *job, const locus_pool *pool, size_t count,
                                   const locus_parallel *parallel, locusi_carver *c)
{
    const locus_net *net = pool->net;
    size_t i;
    memset(job, 0, sizeof *job);
    job->pool = pool;
    job->workers = locusi_workers(parallel);
    if (job->workers > 64) job->workers = 64;
    // Few queries and many models: work is split by models too, and each part computes u anew.
    job->query_tile = LOCUSI_QUERY_TILE;
    job->query_tiles = (count + job->query_tile - 1) / job->query_tile;
    job->model_tiles = 1;
    if (job->query_tiles < 2 * job->workers && job->workers > 1 && pool->count >= 1024)
        job->model_tiles = 4 * job->workers;
    job->model_tile = (pool->count / job->model_tiles + LOCUSI_MODEL_TILE) / LOCUSI_MODEL_TILE * LOCUSI_MODEL_TILE;
    if (pool->count < 1024 && count == 1) job->workers = 1;
    job->scratch = (locusi_predict_scratch *)locusi_carve(c, job->workers, sizeof(locusi_predict_scratch));
    for (i = 0; i < job->workers; i++) {
        locusi_predict_scratch unused, *w = c->base ? &job->scratch[i] : &unused;
        w->u = locusi_carve_floats(c, job->query_tile, net->dp);
        w->hu = locusi_carve_floats(c, job->query_tile, net->gp);
        w->scaled = locusi_carve_floats(c, net->d, net->gp);
        w->hidden = locusi_carve_floats(c, LOCUSI_MODEL_TILE, net->gp);
        if (!pool->memory.landmarks) continue;
        w->x = locusi_carve_floats(c, job->query_tile, pool->memory.rank);
        w->kernels = locusi_carve_floats(c, job->query_tile, pool->memory.landmarks);
        w->recall = locusi_carve_floats(c, job->query_tile, LOCUSI_MODEL_TILE);
    }
}

LOCUS_API size_t locus_predict_workspace(const locus_pool *pool, size_t count, const locus_parallel *parallel)
{
    locusi_predict_job job;
    locusi_carver c = {NULL, 0, 0};
    if (!pool) return 0;
    locusi_predict_plan(&job, pool, count, parallel, &c);
    return c.failed ? 0 : c.used + 64;
}

// A calibrated pool's logit from the plain one. In double the product is exact, so that it is all one whether a
// compiler fuses it with the sum.
LOCUSI_FN float locusi_calibrated(const locus_pool *pool, size_t model, float logit)
{
    return (float)((double)pool->calibration[model].scale * (double)logit + (double)pool->calibration[model].shift);
}

// A regression may leave [0, 1], and is never that sure.
LOCUSI_FN float locusi_chance_logit(float chance)
{
    chance = chance > 0.005f ? chance < 0.995f ? chance : 0.995f : 0.005f;
    return logf(chance / (1.0f - chance));
}

// logits [rows, of all models] of models begin .. end: the memory's share is mixed in.
LOCUSI_FN void locusi_predict_recall(const locus_pool *pool, locusi_predict_scratch *w, const float *q, size_t stride,
                                     size_t rows, size_t begin, size_t end, float *logits)
{
    const locusi_recall *memory = &pool->memory;
    size_t m, i, j, models;
    locusi_recall_kernels(memory, pool->net->kernels, q, stride, rows, w->x, w->kernels);
    for (m = begin; m < end; m += models) {
        models = end - m < LOCUSI_MODEL_TILE ? end - m : LOCUSI_MODEL_TILE;
        locusi_matmul_run(pool->net->kernels, w->kernels, memory->landmarks, rows, memory->landmarks,
                          locusi_recall_at(pool, m, 0), locusi_pad(models), w->recall, LOCUSI_MODEL_TILE,
                          pool->recall_base + m, NULL, 0, 0);
        for (i = 0; i < rows; i++)
            for (j = 0; j < models; j++)
                if (pool->recalled[m + j]) {
                    float *logit = logits + i * pool->count + m + j;
                    float told = w->recall[i * LOCUSI_MODEL_TILE + j];
                    if (!memory->logits) told = locusi_chance_logit(told);
                    *logit = (1.0f - memory->weight) * *logit + memory->weight * told;
                }
    }
}

LOCUSI_FN void locusi_predict_work(void *arg, size_t worker)
{
    locusi_predict_job *job = (locusi_predict_job *)arg;
    const locus_pool *pool = job->pool;
    const locus_net *net = pool->net;
    const locusi_kernels *k = net->kernels;
    locusi_predict_scratch *w = &job->scratch[worker];
    size_t item, i, m, rows, models;
    w->mine = 0;
    while ((item = locusi_next(&job->counter, worker, &w->mine)) < job->query_tiles * job->model_tiles) {
        const size_t first = item / job->model_tiles * job->query_tile;
        const size_t begin = item % job->model_tiles * job->model_tile;
        const size_t end = pool->count < begin + job->model_tile ? pool->count : begin + job->model_tile;
        const float *q = job->queries->encodings + first * job->stride;
        rows = job->queries->count - first < job->query_tile ? job->queries->count - first : job->query_tile;
        for (i = 0; i < rows; i++)
            if (locusi_encoding_norm(net, q + i * job->stride) < 0.0) locusi_set_flag(&job->bad);
        locusi_matmul_run(k, q, job->stride, rows, net->q, net->u, net->dp, w->u, net->dp, net->u_bias, NULL, 0, 0);
        locusi_matmul_run(k, w->u, net->dp, rows, net->d, net->hu, net->gp, w->hu, net->gp, NULL, NULL, 0, 0);
        for (i = 0; i < rows; i++) {
            k->scale(net->hzu, w->u + i * net->dp, net->d, net->gp / 16, w->scaled);
            for (m = begin; m < end; m += models) {
                models = end - m < LOCUSI_MODEL_TILE ? end - m : LOCUSI_MODEL_TILE;
                locusi_matmul_run(k, pool->z + m * net->dp, net->dp, models, net->d, w->scaled, net->gp, w->hidden,
                                  net->gp, w->hu + i * net->gp, pool->hidden + m * net->gp, net->gp, 0);
                k->relu_dot(w->hidden, net->gp, models, net->gp, net->last, net->last_bias,
                            job->logits + (first + i) * pool->count + m);
            }
        }
        if (pool->memory.landmarks && begin < end)
            locusi_predict_recall(pool, w, q, job->stride, rows, begin, end, job->logits + first * pool->count);
        for (i = 0; pool->calibrated && i < rows; i++) {
            float *logits = job->logits + (first + i) * pool->count;
            for (m = begin; m < end; m++) logits[m] = locusi_calibrated(pool, m, logits[m]);
        }
        for (i = 0; i < rows && begin < end; i++)
            if (!locusi_all_finite(job->logits + (first + i) * pool->count + begin, end - begin))
                locusi_set_flag(&job->bad);
    }
}

// The first logit that is NaN, or (infinite 0) infinite, as an error. first: the row of logits[0], for the message.
LOCUSI_FN locus_status locusi_check_logits(const float *logits, size_t rows, size_t models, size_t first, int infinite,
                                           locus_error *err)
{
    size_t i, m;
    for (i = 0; i < rows; i++)
        for (m = 0; m < models; m++) {
            const float x = logits[i * models + m];
            if (locusi_is_nan(x) || (!infinite && !locusi_finite(x)))
                return locusi_fail(err, LOCUS_ERR_NONFINITE, "logits[%z, %z]", "a finite number", "%f", first + i, m,
                                   (double)x);
        }
    return LOCUS_OK;
}

// first: the row of queries[0] in the caller's table, for messages.
LOCUSI_FN locus_status locusi_predict(const locus_pool *pool, const locus_queries *queries, size_t first, float *logits,
                                      const locus_parallel *parallel, void *work, size_t work_bytes, locus_error *err)
{
    locusi_predict_job job;
    locusi_carver c = {NULL, 0, 0};
    locus_status status;
    size_t bytes, i;
    if (!pool || !queries || !logits)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !pool      ? "pool"
                           : !queries ? "queries"
                                      : "logits");
    if ((status = locusi_check_queries(pool->net, queries, err))) return status;
    if (pool->count == 0 || queries->count == 0) return LOCUS_OK;
    bytes = locus_predict_workspace(pool, queries->count, parallel);
    if (!bytes || !work || work_bytes < bytes)
        return locusi_fail(err, LOCUS_ERR_MEMORY, "work", "%z bytes", "%z", bytes, work ? work_bytes : 0);
    c.base = locusi_align(work);
    locusi_predict_plan(&job, pool, queries->count, parallel, &c);
    job.queries = queries;
    job.logits = logits;
    job.stride = queries->stride ? queries->stride : queries->dim;
    job.counter.workers = job.workers;
    locusi_run(parallel, locusi_predict_work, &job, job.workers);
    for (i = 0; job.bad && i < queries->count; i++) {
        const float *q = queries->encodings + i * job.stride;
        if (locusi_encoding_norm(pool->net, q) < 0.0) return locusi_bad_encoding(q, queries->dim, first + i, err);
    }
    return job.bad ? locusi_check_logits(logits, queries->count, pool->count, first, 0, err) : LOCUS_OK;
}

LOCUS_API locus_status locus_predict(const locus_pool *pool, const locus_queries *queries, float *logits,
                                     const locus_parallel *parallel, void *work, size_t work_bytes, locus_error *err)
{
    return locusi_predict(pool, queries, 0, logits, parallel, work, work_bytes, err);
}

// --------------------------------------------------------------------------------------------------------- >>route

LOCUS_API const char *locus_rule_name(locus_rule rule)
{
    switch (rule) {
    case LOCUS_RULE_BEST: return "best";
    case LOCUS_RULE_BEAT_DEFAULT: return "beat-default";
    case LOCUS_RULE_DEFAULT_KEPT: return "default-kept";
    case LOCUS_RULE_DEFAULT_EXCLUDED: return "default-excluded";
    default: return "unknown";
    }
}

// ---- costs

// Code points that are about a token each: CJK, kana, Hangul, and their full-width signs.
LOCUSI_FN int locusi_is_cjk(const unsigned char *s, size_t length)
{
    uint32_t c;
    if (length < 3) return 0;
    c = length == 3 ? (uint32_t)(s[0] & 15) << 12 | (uint32_t)(s[1] & 63) << 6 | (s[2] & 63)
                    : (uint32_t)(s[0] & 7) << 18 | (uint32_t)(s[1] & 63) << 12;
    return (c >= 0x1100 && c < 0x1200) || (c >= 0x2e80 && c < 0xa4d0) || (c >= 0xac00 && c < 0xd7b0) ||
           (c >= 0xf900 && c < 0xfb00) || (c >= 0xff00 && c < 0xfff0) || (c >= 0x20000 && c < 0x40000);
}

LOCUS_API double locus_count_tokens(const char *text, size_t bytes)
{
    const unsigned char *s = (const unsigned char *)text;
    double quarters = 0.0;
    size_t i = 0, length;
    for (; text && i < bytes; i += length ? length : 1) {
        length = locusi_utf8(s + i, bytes - i);
        quarters += locusi_is_cjk(s + i, length) ? 4.0 : 1.0;
    }
    return quarters / 4.0;
}

LOCUS_API locus_status locus_price_costs(const locus_price *prices, size_t models, const locus_tokens *tokens,
                                         size_t count, double *cost, locus_error *err)
{
    static const char *const fields[] = {"input", "output", "query"};
    size_t i, m, k;
    if (!prices || !tokens || !cost || (count && (!tokens->input || !tokens->output)))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !prices          ? "prices"
                           : !tokens        ? "tokens"
                           : !cost          ? "cost"
                           : !tokens->input ? "tokens->input"
                                            : "tokens->output");
    for (m = 0; m < models; m++)
        for (k = 0; k < 3; k++) {
            const double x = k == 0 ? prices[m].input : k == 1 ? prices[m].output : prices[m].query;
            if (!locusi_amount(x))
                return locusi_fail(err, LOCUS_ERR_ARGUMENT, "prices[%z].%s", "finite and not negative, or NaN", "%f", m,
                                   fields[k], x);
        }
    for (i = 0; i < count; i++) {
        const double in = tokens->input[i];
        if (!locusi_amount(in))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "tokens->input[%z]", "finite and not negative, or NaN", "%f", i,
                               in);
        for (m = 0; m < models; m++) {
            const double out = tokens->output[i * tokens->query_stride + m * tokens->model_stride];
            const double sum = (in * prices[m].input + out * prices[m].output) / 1e6 + prices[m].query;
            if (!locusi_amount(out))
                return locusi_fail(err, LOCUS_ERR_ARGUMENT, "tokens->output of query %z, model %z",
                                   "finite and not negative, or NaN", "%f", i, m, out);
            if (!locusi_amount(sum))
                return locusi_fail(err, LOCUS_ERR_ARGUMENT, "cost of query %z, model %z", "a finite number", "%f", i, m,
                                   sum);
            cost[i * models + m] = sum;
        }
    }
    return LOCUS_OK;
}

// ---- rules

// What decides on one query, made once by locusi_rules_make and then set on each query by locusi_rules_at.
typedef struct locusi_rules {
    const locus_model *models; // NULL: of no pool: available, of unknown cost
    size_t count;
    const locus_route_opts *o;
    locus_guard guard;
    int costs, refuse;              // 1: some rule needs costs; models of unknown cost are no candidates
    const unsigned char *available; // of this query, or NULL
    const double *cost;             // likewise
    double unpriced;                // what an unknown cost counts as here; negative: no cost is known
} locusi_rules;

LOCUSI_FN void locusi_rules_make(locusi_rules *r, const locus_pool *pool, size_t count, const locus_route_opts *o,
                                 int budget)
{
    memset(r, 0, sizeof *r);
    r->models = pool ? pool->models : NULL;
    r->count = count;
    r->o = o;
    r->guard.model = SIZE_MAX;
    if (o->guard == LOCUS_GUARD_POOL && pool) r->guard = locus_pool_guard(pool);
    if (o->guard == LOCUS_GUARD_GIVEN) r->guard.model = o->default_model, r->guard.margin = o->margin;
    r->costs = budget || o->lambda > 0.0 || o->max_cost > 0.0;
    r->refuse = o->unpriced == LOCUS_UNPRICED_REFUSE || (o->unpriced == LOCUS_UNPRICED_AUTO && r->costs);
}

// The cost of a model for the query; NaN: unknown.
LOCUSI_FN double locusi_cost(const locusi_rules *r, size_t model)
{
    return r->cost      ? r->cost[model]
           : r->o->cost ? r->o->cost[model]
           : r->models  ? r->models[model].cost
                        : (double)locusi_nan();
}

LOCUSI_FN double locusi_counted_cost(const locusi_rules *r, size_t model)
{
    const double cost = locusi_cost(r, model);
    return !locusi_unknown(cost) ? cost : r->unpriced > 0.0 ? r->unpriced : 0.0;
}

LOCUSI_FN int locusi_candidate(const locusi_rules *r, size_t model)
{
    double cost;
    if (!(r->o->available ? r->o->available[model] : !r->models || r->models[model].available)) return 0;
    if (r->available && !r->available[model]) return 0;
    if (!r->refuse && !(r->o->max_cost > 0.0)) return 1;
    cost = locusi_cost(r, model);
    if (locusi_unknown(cost)) return !r->refuse;
    return !(r->o->max_cost > 0.0 && cost > r->o->max_cost);
}

LOCUSI_FN void locusi_rules_at(locusi_rules *r, size_t query)
{
    size_t m;
    r->available = r->o->query_available ? r->o->query_available + query * r->count : NULL;
    r->cost = r->o->query_cost ? r->o->query_cost + query * r->count : NULL;
    r->unpriced = -1.0;
    for (m = 0; r->costs && !r->refuse && m < r->count; m++) {
        const double cost = locusi_cost(r, m);
        if (!locusi_unknown(cost) && cost > r->unpriced && locusi_candidate(r, m)) r->unpriced = cost;
    }
}

// The options, and the costs of `queries` queries.
LOCUSI_FN locus_status locusi_check_route(const locusi_rules *r, size_t queries, locus_error *err)
{
    const locus_route_opts *o = r->o;
    size_t i, m;
    if (!locusi_within(o->max_cost, 0.0, DBL_MAX))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "max_cost", "finite and not negative", "%f", o->max_cost);
    if (!locusi_within(o->lambda, 0.0, DBL_MAX))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "lambda", "finite and not negative", "%f", o->lambda);
    if (!locusi_within(o->margin, 0.0, DBL_MAX))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "margin", "finite and not negative", "%f", o->margin);
    if ((unsigned)o->unpriced > LOCUS_UNPRICED_REFUSE)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "unpriced", "a locus_unpriced", "%d", (int)o->unpriced);
    if ((unsigned)o->guard > LOCUS_GUARD_GIVEN)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "guard", "a locus_guard_use", "%d", (int)o->guard);
    if (o->guard == LOCUS_GUARD_GIVEN && o->default_model >= r->count)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "default_model", "below %z", "%z", r->count, o->default_model);
    for (i = 0; o->cost && i < r->count; i++)
        if (!locusi_amount(o->cost[i]))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "cost[%z]", "finite and not negative, or NaN for unknown", "%f",
                               i, o->cost[i]);
    for (i = 0; o->query_cost && i < queries; i++)
        for (m = 0; m < r->count; m++) {
            const double cost = o->query_cost[i * r->count + m];
            if (!locusi_amount(cost))
                return locusi_fail(err, LOCUS_ERR_ARGUMENT, "query_cost[%z, %z]",
                                   "finite and not negative, or NaN for unknown", "%f", i, m, cost);
        }
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_no_candidate(const locusi_rules *r, size_t query, locus_error *err)
{
    return locusi_fail(err, LOCUS_ERR_NO_CANDIDATE, "query %z",
                       r->refuse ? "an available model of known cost within the limit"
                                 : "an available model within the cost limit",
                       "none of %z", query, r->count);
}

LOCUSI_FN void locusi_choice_set(const locusi_rules *r, const float *logits, size_t model, locus_choice *c)
{
    const double p = locus_probability((double)logits[model]);
    c->model = model;
    c->logit = logits[model];
    c->probability = (float)p;
    c->cost = locusi_cost(r, model);
    c->utility = r->o->lambda > 0.0 ? p - r->o->lambda * locusi_counted_cost(r, model) : p;
    c->rule = LOCUS_RULE_BEST;
}

// By utility, then logit, then lower index.
LOCUSI_FN int locusi_better(const locus_choice *a, const locus_choice *b)
{
    if (a->utility != b->utility) return a->utility > b->utility;
    if (a->logit != b->logit) return a->logit > b->logit;
    return a->model < b->model;
}

// The ranked choices of one query; 0 if there is no candidate. screened: models with LOCUSI_PASSED_OVER are none.
#define LOCUSI_PASSED_OVER (-FLT_MAX)
LOCUSI_FN int locusi_rank_one(const locusi_rules *r, const float *logits, int screened, size_t top, locus_choice *out)
{
    size_t found = 0, m, i;
    locus_choice c;
    for (m = 0; m < r->count; m++) {
        if (screened && logits[m] <= LOCUSI_PASSED_OVER) continue;
        if (!locusi_candidate(r, m)) continue;
        // Without a price the order is the logits': most models are passed over without a sigmoid.
        if (found == top && r->o->lambda <= 0.0 && logits[m] < out[top - 1].logit) continue;
        locusi_choice_set(r, logits, m, &c);
        if (found == top && !locusi_better(&c, &out[top - 1])) continue;
        if (found < top) found++;
        for (i = found - 1; i > 0 && locusi_better(&c, &out[i - 1]); i--) out[i] = out[i - 1];
        out[i] = c;
    }
    for (i = found; i < top; i++) {
        memset(&out[i], 0, sizeof out[i]);
        out[i].model = SIZE_MAX;
    }
    if (!found || r->guard.model == SIZE_MAX) return found > 0;
    if (!locusi_candidate(r, r->guard.model)) {
        out[0].rule = LOCUS_RULE_DEFAULT_EXCLUDED;
        return 1;
    }
    locusi_choice_set(r, logits, r->guard.model, &c);
    if (out[0].model != c.model && out[0].utility - c.utility > r->guard.margin) {
        out[0].rule = LOCUS_RULE_BEAT_DEFAULT;
        return 1;
    }
    c.rule = LOCUS_RULE_DEFAULT_KEPT;
    for (i = 0; i + 1 < found && out[i].model != c.model; i++) {} // its place, or the last, falls out
    for (; i > 0; i--) out[i] = out[i - 1];
    out[0] = c;
    return 1;
}

LOCUSI_FN const locus_route_opts *locusi_route_defaults(const locus_route_opts *opts, locus_route_opts *zero)
{
    memset(zero, 0, sizeof *zero);
    return opts ? opts : zero;
}

// Choices from checked logits: `count` queries from the one numbered `first` among those of the options.
LOCUSI_FN locus_status locusi_rank_rows(locusi_rules *r, const float *logits, size_t first, size_t count, size_t top,
                                        locus_choice *out, locus_error *err)
{
    size_t i;
    for (i = 0; i < count; i++) {
        locusi_rules_at(r, first + i);
        if (!locusi_rank_one(r, logits + i * r->count, 0, top, out + i * top))
            return locusi_no_candidate(r, first + i, err);
    }
    return LOCUS_OK;
}

LOCUS_API locus_status locus_rank(const locus_pool *pool, const float *logits, size_t count,
                                  const locus_route_opts *opts, locus_choice *out, locus_error *err)
{
    locus_route_opts zero;
    const locus_route_opts *o = locusi_route_defaults(opts, &zero);
    locusi_rules rules;
    locus_status status;
    if (!pool || !logits || !out)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !pool     ? "pool"
                           : !logits ? "logits"
                                     : "out");
    locusi_rules_make(&rules, pool, pool->count, o, 0);
    if ((status = locusi_check_route(&rules, count, err)) ||
        (status = locusi_check_logits(logits, count, pool->count, 0, 1, err)))
        return status;
    return locusi_rank_rows(&rules, logits, 0, count, o->top ? o->top : 1, out, err);
}

// --------------------------------------------------------------------------------------------------------- >>screen
//
// Of many models few can be among the chosen. A pool that has room for LOCUSI_SCREEN_FROM models or more holds each
// embedding also as z' = grain * n, n in 16 bits. One pass over these estimates every logit by integer products, which
// are twice as fast as floats, with W' of 16 bits for W = W_z + W_zu diag(u), at half the bytes; a second pass computes
// the logits of those models that may be among the chosen, to the bit as locus_predict does. The choices are the same.
//
// The bound. |W z - W' z'| <= |W| |z - z'| + |W - W'| |z'| for each unit; the ReLU keeps distances; the units add up
// weighted by |w|. Rounding: a sum of n products in floats, in any order, is off by at most n 2^-24 of the sum of
// absolute products (and as much again if each product is rounded), so `gamma` below is generous. All in all
//     |logit - estimate| <= base + per_size * size(z) + per_slack * slack(z)
// with slack >= |z - z'| and size >= |z|, |z'| kept for each model and the rest computed for each query. Of every
// candidate the lower bound of what it is ranked by is known, hence a lower bound of the last chosen one's: a model
// whose upper bound is below that cannot be chosen. Nothing is assumed of the pool: on embeddings that are all alike
// every model is computed, which costs the estimate on top.

#define LOCUSI_SCREEN_TOP ((size_t)64) // more choices are not screened for

typedef struct locusi_screen_scratch {
    float *z, *hidden, *logits; // [MODEL_TILE, dp], [MODEL_TILE, gp], [MODEL_TILE]
    size_t *models;             // [MODEL_TILE]
    double *best;               // [SCREEN_TOP] the highest lower bounds of this worker's models
    size_t found, mine;
} locusi_screen_scratch;

typedef struct locusi_screen_job {
    const locus_pool *pool;
    const locus_route_opts *o;
    locusi_rules rules; // of the query
    size_t top, workers, tile, tiles;
    locusi_screen query;
    double base;
    float *u, *hu, *scaled; // as in locusi_predict_scratch, of one query
    int16_t *weights;       // [gp, dp] as in locusi_screen
    float *bias, *last;     // [gp]
    float *logits;          // [places]: upper bounds, then logits
    double threshold;       // what a model must reach
    float threshold_logit;  // its logit needs at least this
    locusi_screen_scratch *scratch;
    locusi_counter counter;
} locusi_screen_job;

LOCUSI_FN void locusi_screen_plan(locusi_screen_job *job, const locus_pool *pool, const locus_parallel *parallel,
                                  locusi_carver *c)
{
    const locus_net *net = pool->net;
    size_t i;
    memset(job, 0, sizeof *job);
    job->pool = pool;
    job->workers = locusi_workers(parallel);
    if (job->workers > 64) job->workers = 64;
    job->tile = 1024;
    job->tiles = (pool->count + job->tile - 1) / job->tile;
    job->logits = locusi_carve_floats(c, (pool->count + 31) / 32 * 32, 1);
    job->u = locusi_carve_floats(c, net->dp, 1);
    job->hu = locusi_carve_floats(c, net->gp, 1);
    job->scaled = locusi_carve_floats(c, net->d, net->gp);
    job->weights = (int16_t *)(void *)locusi_carve_floats(c, net->gp, net->dp / 2);
    job->bias = locusi_carve_floats(c, net->gp, 1);
    job->last = locusi_carve_floats(c, net->gp, 1);
    job->scratch = (locusi_screen_scratch *)locusi_carve(c, job->workers, sizeof(locusi_screen_scratch));
    for (i = 0; i < job->workers; i++) {
        locusi_screen_scratch unused, *w = c->base ? &job->scratch[i] : &unused;
        w->z = locusi_carve_floats(c, LOCUSI_MODEL_TILE, net->dp);
        w->hidden = locusi_carve_floats(c, LOCUSI_MODEL_TILE, net->gp);
        w->logits = locusi_carve_floats(c, LOCUSI_MODEL_TILE, 1);
        w->models = (size_t *)locusi_carve(c, LOCUSI_MODEL_TILE, sizeof(size_t));
        w->best = (double *)locusi_carve(c, LOCUSI_SCREEN_TOP, sizeof(double));
    }
}

// The query's side of the estimate and its bound; 0 if a logit might overflow.
LOCUSI_FN int locusi_screen_prepare(locusi_screen_job *job, const float *q, size_t stride)
{
    const locus_net *net = job->pool->net;
    const double most = locusi_screen_range(net), largest = (double)job->pool->largest;
    const double gamma = (2.0 * (double)net->d + (double)net->gp + 64.0) * 1.1920929e-7;
    double base = fabs((double)net->last_bias) * gamma, per_size = 0.0, per_slack = 0.0, at_most;
    size_t g, i;
    locusi_matmul_run(net->kernels, q, stride, 1, net->q, net->u, net->dp, job->u, net->dp, net->u_bias, NULL, 0, 0);
    locusi_matmul_run(net->kernels, job->u, net->dp, 1, net->d, net->hu, net->gp, job->hu, net->gp, NULL, NULL, 0, 0);
    net->kernels->scale(net->hzu, job->u, net->d, net->gp / 16, job->scaled);
    memset(job->weights, 0, net->gp * net->dp * sizeof(int16_t));
    for (g = 0; g < net->gp; g++) {
        const float *own = net->hz + g / 16 * 16 * net->d + g % 16, *shared = job->scaled + (own - net->hz);
        const double w = (double)net->last[g], constant = (double)net->h_bias[g] + (double)job->hu[g];
        double top = 0.0, grain, square = 0.0, own_square = 0.0, shared_square = 0.0, rest_square = 0.0;
        for (i = 0; i < net->d; i++) {
            const double x = (double)own[16 * i] + (double)shared[16 * i];
            if (fabs(x) > top) top = fabs(x);
        }
        grain = (double)(float)(top / most);
        if (!(grain >= 1e-25)) grain = 0.0; // then the unit's estimate is its constant
        for (i = 0; i < net->d; i++) {
            const double a = (double)own[16 * i], b = (double)shared[16 * i], x = a + b;
            const double n = grain > 0.0 ? locusi_round_to(x / grain, most) : 0.0, rest = x - grain * n;
            job->weights[g / 8 * 8 * net->dp + i / 2 * 16 + g % 8 * 2 + i % 2] = (int16_t)n;
            square += x * x;
            own_square += a * a;
            shared_square += b * b;
            rest_square += rest * rest;
        }
        job->bias[g] = (float)(grain > 0.0 ? constant / grain : constant);
        job->last[g] = (float)(grain > 0.0 ? w * grain : w);
        base += gamma * fabs(w) * (fabs((double)net->h_bias[g]) + fabs((double)job->hu[g]));
        per_size += fabs(w) * (gamma * (sqrt(own_square) + sqrt(shared_square)) + sqrt(rest_square));
        per_slack += fabs(w) * sqrt(square);
    }
    // Sums of absolute terms are below these over gamma, and a little more than that.
    at_most = 4.0 * (base / gamma + (per_size / gamma + per_slack) * largest);
    if (!locusi_finite((float)at_most) || at_most > 1e30) return 0;
    job->base = base + 1e-30;
    job->query.units = net->gp;
    job->query.pairs = net->dp / 2;
    job->query.weights = job->weights;
    job->query.bias = job->bias;
    job->query.last = job->last;
    job->query.start = (float)((double)net->last_bias + job->base);
    job->query.per_size = locusi_above(per_size);
    job->query.per_slack = locusi_above(per_slack);
    return 1;
}

// What the model is ranked by, from a bound on its logit: no higher than the true one, or (upper) no lower. The sigmoid
// is good to a few units of the last place.
LOCUSI_FN double locusi_screen_value(const locusi_screen_job *job, size_t model, double logit, int upper)
{
    double price, slack;
    if (job->o->lambda <= 0.0) return logit;
    price = job->o->lambda * locusi_counted_cost(&job->rules, model);
    slack = 1e-12 * (1.0 + price);
    return locus_probability(logit) + (upper ? slack : -slack) - price;
}

// A bound on the calibrated logit from one on the plain logit; the margin covers the roundings of locusi_calibrated and
// of the bound itself to float.
LOCUSI_FN double locusi_screen_calibrated(const locus_pool *pool, size_t model, double logit, int upper)
{
    const double scaled = (double)pool->calibration[model].scale * logit,
                 shift = (double)pool->calibration[model].shift;
    const double margin = 1e-6 * (fabs(scaled) + fabs(shift)) + 1e-30;
    return scaled + shift + (upper ? margin : -margin);
}

// The logit that a model needs, whatever it costs.
LOCUSI_FN float locusi_screen_logit(const locusi_screen_job *job, double threshold)
{
    double p = threshold - 1e-11, x;
    if (job->o->lambda <= 0.0) x = threshold;
    else if (p <= 0.0) return -FLT_MAX;
    else x = p >= 1.0 ? 30.0 : log(p / (1.0 - p)); // saturated: 1 / (1 + e^-30) is 1 to within 1e-11
    x -= job->o->lambda <= 0.0 ? 0.0 : 1e-3 * (1.0 + fabs(x));
    return x <= -(double)FLT_MAX ? -FLT_MAX : (float)x;
}

LOCUSI_FN void locusi_screen_keep(double *best, size_t *found, size_t top, double value)
{
    size_t i;
    if (*found == top && value <= best[top - 1]) return;
    if (*found < top) ++*found;
    for (i = *found - 1; i > 0 && value > best[i - 1]; i--) best[i] = best[i - 1];
    best[i] = value;
}

LOCUSI_FN void locusi_screen_estimate(void *arg, size_t worker)
{
    locusi_screen_job *job = (locusi_screen_job *)arg;
    const locus_pool *pool = job->pool;
    locusi_screen_scratch *w = &job->scratch[worker];
    float needed = -FLT_MAX;
    size_t tile, m;
    w->found = w->mine = 0;
    while ((tile = locusi_next(&job->counter, worker, &w->mine)) < job->tiles) {
        const size_t begin = tile * job->tile, end = pool->count - begin < job->tile ? pool->count : begin + job->tile;
        pool->net->kernels->screen(&job->query, pool->coarse + begin * pool->net->dp, pool->grain + begin,
                                   pool->size + begin, pool->slack + begin, (end - begin + 31) / 32 * 2,
                                   job->logits + begin);
        for (m = begin; m < end; m++) {
            double low =
                (double)job->logits[m] - 2.000001 * (job->base + (double)job->query.per_size * (double)pool->size[m] +
                                                     (double)job->query.per_slack * (double)pool->slack[m]);
            if (pool->calibrated) {
                low = locusi_screen_calibrated(pool, m, low, 0);
                job->logits[m] = (float)locusi_screen_calibrated(pool, m, (double)job->logits[m], 1);
            }
            if (job->logits[m] < needed || !locusi_candidate(&job->rules, m)) continue;
            locusi_screen_keep(w->best, &w->found, job->top, locusi_screen_value(job, m, low, 0));
            if (w->found == job->top) needed = locusi_screen_logit(job, w->best[job->top - 1]);
        }
    }
}

// Exact logits of the models that the worker has gathered.
LOCUSI_FN void locusi_screen_exact(const locusi_screen_job *job, locusi_screen_scratch *w, size_t gathered)
{
    const locus_net *net = job->pool->net;
    size_t i;
    locusi_matmul_run(net->kernels, w->z, net->dp, gathered, net->d, job->scaled, net->gp, w->hidden, net->gp, job->hu,
                      w->hidden, net->gp, 0);
    net->kernels->relu_dot(w->hidden, net->gp, gathered, net->gp, net->last, net->last_bias, w->logits);
    for (i = 0; i < gathered; i++)
        job->logits[w->models[i]] =
            job->pool->calibrated ? locusi_calibrated(job->pool, w->models[i], w->logits[i]) : w->logits[i];
}

LOCUSI_FN void locusi_screen_settle(void *arg, size_t worker)
{
    locusi_screen_job *job = (locusi_screen_job *)arg;
    const locus_pool *pool = job->pool;
    const size_t dp = pool->net->dp, gp = pool->net->gp;
    locusi_screen_scratch *w = &job->scratch[worker];
    size_t tile, m, gathered;
    w->mine = 0;
    while ((tile = locusi_next(&job->counter, worker, &w->mine)) < job->tiles) {
        const size_t begin = tile * job->tile, end = pool->count - begin < job->tile ? pool->count : begin + job->tile;
        for (gathered = 0, m = begin; m < end; m++) {
            const float upper = job->logits[m];
            const int chosen = m == job->rules.guard.model;
            job->logits[m] = LOCUSI_PASSED_OVER;
            if ((upper < job->threshold_logit && !chosen) || !locusi_candidate(&job->rules, m)) continue;
            if (locusi_screen_value(job, m, (double)upper, 1) < job->threshold && !chosen) continue;
            memcpy(w->z + gathered * dp, pool->z + m * dp, dp * sizeof(float));
            memcpy(w->hidden + gathered * gp, pool->hidden + m * gp, gp * sizeof(float));
            w->models[gathered++] = m;
            if (gathered == LOCUSI_MODEL_TILE) {
                locusi_screen_exact(job, w, gathered);
                gathered = 0;
            }
        }
        if (gathered) locusi_screen_exact(job, w, gathered);
    }
}

// job->logits <- the logits of all models that can be among the chosen, LOCUSI_PASSED_OVER for the others; 0 if they
// have to be computed the plain way.
LOCUSI_FN int locusi_screen_run(locusi_screen_job *job, const float *q, size_t stride)
{
    double best[LOCUSI_SCREEN_TOP];
    size_t i, j, found = 0;
    if (!locusi_screen_prepare(job, q, stride)) return 0;
    job->counter.next = 0;
    job->counter.workers = job->workers;
    locusi_run(job->o->parallel, locusi_screen_estimate, job, job->workers);
    for (i = 0; i < job->workers; i++)
        for (j = 0; j < job->scratch[i].found; j++) locusi_screen_keep(best, &found, job->top, job->scratch[i].best[j]);
    job->threshold = found == job->top ? best[found - 1] : -DBL_MAX;
    job->threshold_logit = locusi_screen_logit(job, job->threshold);
    job->counter.next = 0;
    locusi_run(job->o->parallel, locusi_screen_settle, job, job->workers);
    return 1;
}

LOCUSI_FN int locusi_screened(const locus_pool *pool, size_t top)
{
    return pool->coarse && pool->count >= LOCUSI_SCREEN_FROM && !pool->memory.landmarks && top <= LOCUSI_SCREEN_TOP;
}

// Queries are routed a block at a time where the caller does not want the logits.
LOCUSI_FN size_t locusi_route_block(const locus_pool *pool, size_t count)
{
    const size_t block = 1 + 65536 / (pool->count + 1);
    return count < block ? count : block < 64 ? (count < 64 ? count : 64) : block;
}

LOCUS_API size_t locus_route_workspace(const locus_pool *pool, size_t count, const locus_route_opts *opts)
{
    const locus_parallel *parallel = opts ? opts->parallel : NULL;
    size_t bytes, logits;
    if (!pool) return 0;
    bytes = locus_predict_workspace(pool, count, parallel);
    if (!bytes || !locusi_mul(locusi_route_block(pool, count), pool->count * sizeof(float), &logits) ||
        !locusi_add(bytes, logits, &bytes) || !locusi_add(bytes, 64, &bytes))
        return 0;
    if (locusi_screened(pool, opts && opts->top ? opts->top : 1)) {
        locusi_carver c = {NULL, 0, 0};
        locusi_screen_job job;
        locusi_screen_plan(&job, pool, parallel, &c);
        if (c.failed) return 0;
        if (c.used + 64 > bytes) bytes = c.used + 64;
    }
    return bytes;
}

// One query after the other; in each, the models are shared out among the threads. *done <- how many were routed: at
// the next one a logit might overflow.
LOCUSI_FN locus_status locusi_route_screened(const locus_pool *pool, const locus_queries *queries,
                                             const locusi_rules *rules, size_t first, size_t *done, locus_choice *out,
                                             void *work, locus_error *err)
{
    const locus_route_opts *o = rules->o;
    const size_t top = o->top ? o->top : 1;
    locusi_screen_job job;
    locusi_carver c = {NULL, 0, 0};
    size_t i;
    c.base = locusi_align(work);
    locusi_screen_plan(&job, pool, o->parallel, &c);
    job.o = o;
    job.rules = *rules;
    job.top = top;
    *done = 0;
    for (i = 0; i < queries->count; i++, ++*done) {
        const float *q = queries->encodings + i * queries->stride;
        if (locusi_encoding_norm(pool->net, q) < 0.0) return locusi_bad_encoding(q, queries->dim, first + i, err);
        locusi_rules_at(&job.rules, first + i);
        if (!locusi_screen_run(&job, q, queries->stride)) break;
        if (!locusi_rank_one(&job.rules, job.logits, 1, top, out + i * top))
            return locusi_no_candidate(&job.rules, first + i, err);
    }
    return LOCUS_OK;
}

LOCUS_API locus_status locus_route(const locus_pool *pool, const locus_queries *queries, const locus_route_opts *opts,
                                   locus_choice *out, float *logits, void *work, size_t work_bytes, locus_error *err)
{
    locus_route_opts zero;
    const locus_route_opts *o = locusi_route_defaults(opts, &zero);
    const size_t top = o->top ? o->top : 1;
    locusi_rules rules;
    locus_queries part;
    unsigned char *buffer;
    size_t bytes, block, i;
    locus_status status;
    if (!pool || !queries || !out)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !pool      ? "pool"
                           : !queries ? "queries"
                                      : "out");
    locusi_rules_make(&rules, pool, pool->count, o, 0);
    if ((status = locusi_check_queries(pool->net, queries, err)) ||
        (status = locusi_check_route(&rules, queries->count, err)))
        return status;
    bytes = locus_route_workspace(pool, queries->count, opts);
    if (!bytes || !work || work_bytes < bytes)
        return locusi_fail(err, LOCUS_ERR_MEMORY, "work", "%z bytes", "%z", bytes, work ? work_bytes : 0);
    block = locusi_route_block(pool, queries->count);
    buffer = locusi_align(work);
    part = *queries;
    part.stride = queries->stride ? queries->stride : queries->dim;
    for (i = 0; i < queries->count; i += part.count) {
        float *to = logits ? logits + i * pool->count : (float *)(void *)buffer;
        unsigned char *rest = buffer + block * pool->count * sizeof(float);
        part.encodings = queries->encodings + i * part.stride;
        part.count = queries->count - i;
        if (!logits && locusi_screened(pool, top)) {
            size_t done;
            if ((status = locusi_route_screened(pool, &part, &rules, i, &done, out + i * top, work, err)))
                return status;
            i += done;
            if (i == queries->count) break;
            part.encodings = queries->encodings + i * part.stride;
            part.count = 1; // the plain way
        } else if (part.count > block) part.count = block;
        if ((status = locusi_predict(pool, &part, i, to, o->parallel, rest,
                                     work_bytes - (size_t)(rest - (unsigned char *)work), err)) ||
            (status = locusi_rank_rows(&rules, to, i, part.count, top, out + i * top, err)))
            return status;
    }
    return LOCUS_OK;
}

// *mean <- the mean cost of the first choices by these rules.
LOCUSI_FN locus_status locusi_mean_cost(locusi_rules *r, const float *logits, size_t count, double *mean,
                                        locus_error *err)
{
    double sum = 0.0;
    size_t i;
    locus_choice c;
    for (i = 0; i < count; i++) {
        locusi_rules_at(r, i);
        if (!locusi_rank_one(r, logits + i * r->count, 0, 1, &c)) return locusi_no_candidate(r, i, err);
        if (locusi_unknown(c.cost) && r->unpriced < 0.0)
            return locusi_fail(err, LOCUS_ERR_NO_CANDIDATE, "query %z", "a candidate of known cost", "none of %z", i,
                               r->count);
        sum += locusi_counted_cost(r, c.model);
    }
    *mean = count ? sum / (double)count : 0.0;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_lambda_for_budget(const locus_pool *pool, const float *logits, size_t count, double budget,
                                               const locus_route_opts *opts, double *lambda, double *mean_cost,
                                               locus_error *err)
{
    locus_route_opts o;
    locusi_rules rules;
    double low = 0.0, high = 1.0, cost;
    locus_status status;
    int i;
    if (!pool || !logits || !lambda)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !pool     ? "pool"
                           : !logits ? "logits"
                                     : "lambda");
    o = *locusi_route_defaults(opts, &o);
    o.lambda = 0.0;
    locusi_rules_make(&rules, pool, pool->count, &o, 1);
    if ((status = locusi_check_route(&rules, count, err))) return status;
    if (!locusi_within(budget, 0.0, DBL_MAX))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "budget", "finite and not negative", "%f", budget);
    if ((status = locusi_check_logits(logits, count, pool->count, 0, 1, err)) ||
        (status = locusi_mean_cost(&rules, logits, count, &cost, err)))
        return status;
    if (cost > budget) {
        // Raise the price until the budget holds, then halve the interval. It is not closed to the last bit: at the
        // very edge a choice would hang on the rounding of a utility. Costs may be of any size: start where one such
        // mean cost is worth a certain answer.
        if (cost < 1.0) high = 1.0 / cost < DBL_MAX ? 1.0 / cost : DBL_MAX;
        for (i = 0; i < 200; i++, low = high, high *= 4.0) {
            o.lambda = high < DBL_MAX ? high : DBL_MAX;
            if ((status = locusi_mean_cost(&rules, logits, count, &cost, err))) return status;
            if (cost <= budget || o.lambda >= DBL_MAX) break;
        }
        if (high > o.lambda) high = o.lambda;
        if (cost > budget)
            return locusi_fail(err, LOCUS_ERR_BUDGET, "budget", "at least %f, the mean cost at any price", "%f", cost,
                               budget);
        for (i = 0; i < 200 && high - low > 1e-9 * high; i++) {
            double c;
            o.lambda = low + (high - low) / 2.0;
            if ((status = locusi_mean_cost(&rules, logits, count, &c, err))) return status;
            if (c <= budget) high = o.lambda, cost = c;
            else low = o.lambda;
        }
        *lambda = high;
    } else *lambda = 0.0;
    if (mean_cost) *mean_cost = cost;
    return LOCUS_OK;
}

// ------------------------------------------------------------------------------------------------------- >>metrics

#ifndef LOCUS_INFERENCE_ONLY

LOCUS_API size_t locus_best_model(const locus_scores *scores, const size_t *columns, size_t count)
{
    size_t m, i, best = 0, most = 0;
    float y;
    for (m = 0; m < scores->models; m++) {
        size_t right = 0;
        for (i = 0; i < (columns ? count : scores->count); i++)
            right += locusi_score_at(scores, m, columns ? columns[i] : i, &y) && y > 0.5f;
        if (right > most) {
            most = right;
            best = m;
        }
    }
    return best;
}

LOCUS_API size_t locus_metrics_workspace(size_t n, size_t models)
{
    size_t pairs, bytes;
    return locusi_mul(n, models, &pairs) && locusi_mul(pairs, 2 * sizeof(uint64_t), &bytes) &&
                   locusi_add(bytes, models + 128, &bytes)
               ? bytes
               : 0;
}

// Ascending, by counting each of the low 5 bytes; `spare` is as long. The result is in keys or spare: returned.
LOCUSI_FN uint64_t *locusi_radix_sort(uint64_t *keys, uint64_t *spare, size_t n)
{
    size_t count[257], i, byte;
    for (byte = 0; byte < 5; byte++) {
        uint64_t *swap = keys;
        memset(count, 0, sizeof count);
        for (i = 0; i < n; i++) count[1 + (keys[i] >> 8 * byte & 255)]++;
        for (i = 1; i < 257; i++) count[i] += count[i - 1];
        for (i = 0; i < n; i++) spare[count[keys[i] >> 8 * byte & 255]++] = keys[i];
        keys = spare;
        spare = swap;
    }
    return keys;
}

// Area under the ROC curve from sorted keys: (ordered logit) * 2 + right. Pairs of equal logit count half.
LOCUSI_FN double locusi_auc(const uint64_t *keys, size_t n)
{
    double wins = 0.0, below = 0.0;
    size_t i = 0, positives = 0;
    while (i < n) {
        double right = 0.0, wrong = 0.0;
        const uint64_t logit = keys[i] >> 1;
        for (; i < n && keys[i] >> 1 == logit; i++) {
            if (keys[i] & 1) right += 1.0;
            else wrong += 1.0;
        }
        wins += right * (below + 0.5 * wrong);
        below += wrong;
        positives += (size_t)right;
    }
    if (positives == 0 || positives == n) return (double)locusi_nan();
    return wins / ((double)positives * (double)(n - positives));
}

#define LOCUSI_BINS ((size_t)15) // of the calibration error
#define LOCUSI_TOP ((size_t)5)   // hit@5 is the deepest

LOCUSI_FN locus_status locusi_check_columns(const locus_scores *scores, const size_t *columns, size_t n,
                                            locus_error *err)
{
    size_t i;
    if (!scores->f32 == !scores->u8)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "scores", "f32 or u8", "%s", scores->f32 ? "both" : "neither");
    for (i = 0; i < n; i++)
        if ((columns ? columns[i] : i) >= scores->count)
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "columns[%z]", "below %z", "%z", i, scores->count,
                               columns ? columns[i] : i);
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_bad_score(size_t model, size_t column, float y, locus_error *err)
{
    return locusi_fail(err, LOCUS_ERR_SCORE, "scores[%z, %z]", "0 to 1, or missing", "%f", model, column, (double)y);
}

// row: the first cell of the query.
LOCUSI_FN int locusi_in_play(const locus_metrics_opts *o, size_t row, size_t model)
{
    return (!o->available || o->available[model]) && (!o->query_available || o->query_available[row + model]);
}

LOCUS_API locus_status locus_metrics_compute(locus_metrics *out, const float *logits, size_t n,
                                             const locus_scores *scores, const locus_metrics_opts *opts, void *work,
                                             size_t work_bytes, locus_error *err)
{
    const size_t bytes = scores ? locus_metrics_workspace(n, scores->models) : 0;
    double sum_p[LOCUSI_BINS], sum_y[LOCUSI_BINS], right_pairs = 0.0, bce = 0.0, brier = 0.0, hit[3] = {0}, gap = 0.0;
    double single = 0.0, random = 0.0, oracle = 0.0, score = 0.0, single_score = 0.0, random_score = 0.0,
           oracle_score = 0.0;
    size_t i, m, k, pairs = 0, queries = 0, models;
    locus_metrics_opts none;
    const locus_metrics_opts *o = opts;
    uint64_t *keys, *spare;
    unsigned char *routed;
    float y;
    locus_status status;
    if (!out || !logits || !scores)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !out      ? "out"
                           : !logits ? "logits"
                                     : "scores");
    memset(out, 0, sizeof *out);
    memset(&none, 0, sizeof none);
    if (!o) o = &none;
    models = scores->models;
    if ((unsigned)o->among > LOCUS_AMONG_SCORED)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "among", "a locus_among", "%d", (int)o->among);
    if (!models) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "scores->models", "at least 1", "0");
    for (m = 0; m < o->leader_count; m++)
        if (o->leaders[m] >= models)
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "leaders[%z]", "below %z", "%z", m, models, o->leaders[m]);
    if (!work || work_bytes < bytes || !bytes)
        return locusi_fail(err, LOCUS_ERR_MEMORY, "work", "%z bytes", "%z", bytes, work ? work_bytes : 0);
    if ((status = locusi_check_columns(scores, o->columns, n, err))) return status;
    memset(sum_p, 0, sizeof sum_p);
    memset(sum_y, 0, sizeof sum_y);
    keys = (uint64_t *)(void *)locusi_align(work);
    spare = keys + n * models;
    routed = (unsigned char *)(spare + n * models);
    memset(routed, 0, models);
    for (i = 0; i < n; i++) {
        const size_t column = o->columns ? o->columns[i] : i;
        const float *row = logits + i * models;
        size_t top[LOCUSI_TOP], found = 0, candidates = 0, right = 0, first_hit = LOCUSI_TOP, leader = SIZE_MAX, chosen;
        double sum = 0.0, best = 0.0;
        if (o->select && o->select[i] != o->value) continue;
        if ((status = locusi_check_logits(row, 1, models, i, 0, err))) return status;
        for (m = 0; m < models; m++) {
            const int scored = locusi_score_at(scores, m, column, &y);
            size_t at;
            if (scored && !(y >= 0.0f && y <= 1.0f)) return locusi_bad_score(m, column, y, err);
            if (!locusi_in_play(o, i * models, m) || (o->among == LOCUS_AMONG_SCORED && !scored)) continue;
            candidates++;
            if (scored) {
                right += y > 0.5f;
                sum += (double)y;
                if (best < (double)y) best = (double)y;
            }
            at = found < LOCUSI_TOP ? found++ : LOCUSI_TOP;
            while (at > 0 && row[m] > row[top[at - 1]]) {
                if (at < LOCUSI_TOP) top[at] = top[at - 1];
                at--;
            }
            if (at < LOCUSI_TOP) top[at] = m;
        }
        if (!candidates) {
            out->left_out++;
            continue;
        }
        chosen = o->choices ? o->choices[i].model : top[0];
        if (chosen >= models || !locusi_in_play(o, i * models, chosen) ||
            (o->among == LOCUS_AMONG_SCORED && !locusi_score_at(scores, chosen, column, &y)))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "choices[%z]", "one of the query's candidates", "model %z", i,
                               chosen);
        queries++;
        for (m = 0; m < models; m++) {
            const double logit = (double)row[m];
            double p;
            uint32_t bits;
            size_t bin;
            if (!locusi_score_at(scores, m, column, &y)) continue;
            p = locus_probability(logit);
            right_pairs += (logit >= 0.0) == (y > 0.5f) ? 1.0 : 0.0;
            // -log p = log(1 + e^-logit), written so that neither side overflows
            bce += (logit > 0.0 ? logit : 0.0) + log1p(exp(-fabs(logit))) - (double)y * logit;
            brier += (p - (double)y) * (p - (double)y);
            bin = (size_t)(p * (double)LOCUSI_BINS);
            if (bin >= LOCUSI_BINS) bin = LOCUSI_BINS - 1;
            sum_p[bin] += p;
            sum_y[bin] += (double)y;
            bits = locusi_f32_bits(row[m] + 0.0f); // -0 becomes 0
            bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
            keys[pairs++] = (uint64_t)bits << 1 | (y > 0.5f);
        }
        for (k = 0; k < found; k++)
            if (first_hit == LOCUSI_TOP && locusi_score_at(scores, top[k], column, &y) && y > 0.5f) first_hit = k;
        hit[1] += first_hit < 3;
        hit[2] += first_hit < 5;
        if (locusi_score_at(scores, chosen, column, &y)) {
            hit[0] += y > 0.5f;
            score += (double)y;
        }
        for (m = 0; leader == SIZE_MAX; m++) { // there is a candidate, so it ends
            const size_t l = m < o->leader_count ? o->leaders[m] : m - o->leader_count;
            if (locusi_in_play(o, i * models, l) &&
                (o->among == LOCUS_AMONG_ALL || locusi_score_at(scores, l, column, &y)))
                leader = l;
        }
        if (locusi_score_at(scores, leader, column, &y)) {
            single += y > 0.5f;
            single_score += (double)y;
        }
        random += (double)right / (double)candidates;
        random_score += sum / (double)candidates;
        oracle += right > 0;
        oracle_score += best;
        routed[chosen] = 1;
    }
    for (k = 0; k < LOCUSI_BINS; k++) gap += fabs(sum_p[k] - sum_y[k]);
    for (m = 0; m < models; m++) out->models_routed += routed[m];
    out->queries = queries;
    out->pairs = pairs;
    out->hit1 = hit[0] / (double)queries;
    out->hit3 = hit[1] / (double)queries;
    out->hit5 = hit[2] / (double)queries;
    out->routing_score = score / (double)queries;
    out->prediction_accuracy = right_pairs / (double)pairs;
    out->bce = bce / (double)pairs;
    out->brier = brier / (double)pairs;
    out->auc = locusi_auc(locusi_radix_sort(keys, spare, pairs), pairs);
    out->ece = gap / (double)pairs;
    out->best_single = single / (double)queries;
    out->best_single_score = single_score / (double)queries;
    out->random_model = random / (double)queries;
    out->random_model_score = random_score / (double)queries;
    out->oracle = oracle / (double)queries;
    out->oracle_score = oracle_score / (double)queries;
    return LOCUS_OK;
}

// order[count] <- by falling key, equals by index: insertion, a few models are quick and many are sorted once.
LOCUSI_FN void locusi_by_key(const double *key, size_t count, size_t *order)
{
    size_t gap = 1, i, at;
    while (gap < count / 3) gap = 3 * gap + 1;
    for (i = 0; i < count; i++) order[i] = i;
    for (; gap; gap /= 3) // Shell's
        for (i = gap; i < count; i++) {
            const size_t moved = order[i];
            for (at = i; at >= gap; at -= gap) {
                const size_t before = order[at - gap];
                if (key[before] > key[moved] || (key[before] >= key[moved] && before < moved)) break;
                order[at] = before;
            }
            order[at] = moved;
        }
}

LOCUS_API locus_status locus_leaders(const locus_scores *scores, const size_t *columns, size_t count, locus_among among,
                                     size_t *order, double *means, locus_error *err)
{
    const size_t n = columns ? count : scores ? scores->count : 0;
    double *model, *query, *seen, rest = 0.0, pairs = 0.0, moved = 1.0, middle = 0.0;
    locusi_carver c = {NULL, 0, 0};
    size_t bytes, m, i, round, holes = 0;
    void *block = NULL;
    float y;
    locus_status status;
    if (!scores || !order)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", scores ? "order" : "scores");
    if ((status = locusi_check_columns(scores, columns, n, err))) return status;
    for (m = 0; m < scores->models; m++)
        for (i = 0; i < n; i++) {
            const size_t column = columns ? columns[i] : i;
            if (!locusi_score_at(scores, m, column, &y)) holes++;
            else if (!(y >= 0.0f && y <= 1.0f)) return locusi_bad_score(m, column, y, err);
        }
    locusi_carve(&c, scores->models, 2 * sizeof(double));
    locusi_carve(&c, n, sizeof(double));
    if (!c.failed && locusi_add(c.used, 64, &bytes)) block = LOCUS_MALLOC(bytes);
    if (!block) return locusi_fail(err, LOCUS_ERR_MEMORY, "leaders", "%z bytes", "none", c.used);
    c.base = locusi_align(block);
    c.used = 0;
    model = (double *)locusi_carve(&c, scores->models, 2 * sizeof(double));
    query = (double *)locusi_carve(&c, n, sizeof(double));
    seen = model + scores->models;
    memset(model, 0, 2 * scores->models * sizeof(double));
    memset(query, 0, n * sizeof(double));
    // Without holes, and where a missing score is a 0, the plain mean. Else model and query in turn until both stand.
    for (round = 0; round < 500 && moved > 1e-9; round++) {
        const int plain = !holes || among == LOCUS_AMONG_ALL;
        if (!plain)
            for (i = 0; i < n; i++) {
                double sum = 0.0, number = 0.0;
                for (m = 0; m < scores->models; m++)
                    if (locusi_score_at(scores, m, columns ? columns[i] : i, &y))
                        sum += (double)y - model[m], number += 1.0;
                query[i] = number > 0.0 ? sum / number : 0.0;
            }
        moved = rest = pairs = 0.0;
        for (m = 0; m < scores->models; m++) {
            double sum = 0.0, square = 0.0, number = 0.0, mean;
            for (i = 0; i < n; i++)
                if (locusi_score_at(scores, m, columns ? columns[i] : i, &y)) {
                    const double x = (double)y - query[i];
                    sum += x, square += x * x, number += 1.0;
                }
            mean = plain ? sum : number > 0.0 ? sum / number : 0.0; // of plain ones the sum: exact for 0 and 1
            if (fabs(mean - model[m]) > moved) moved = fabs(mean - model[m]);
            model[m] = mean;
            seen[m] = number;
            rest += square - sum * mean;
            pairs += number;
        }
        if (plain) moved = 0.0;
    }
    for (i = 0; i < n; i++) middle += query[i] / (double)n;
    for (m = 0; m < scores->models; m++) {
        const int plain = !holes || among == LOCUS_AMONG_ALL;
        if (!plain) model[m] = seen[m] > 0.0 ? model[m] - sqrt((rest > 0.0 ? rest : 0.0) / pairs / seen[m]) : -DBL_MAX;
        if (means) means[m] = plain ? model[m] / (double)n : seen[m] > 0.0 ? model[m] + middle : (double)locusi_nan();
    }
    locusi_by_key(model, scores->models, order);
    LOCUS_FREE(block);
    return LOCUS_OK;
}

// ------------------------------------------------------------------------------------------------------ >>frontier
//
// A router at a price of cost spends some mean cost and gets some mean quality; over all prices that is a curve, and
// what can be had by mixing two of its points is its hull. The zero router's is computed likewise, with a model's mean
// in the place of its chance, over the same queries and candidates. The bootstrap draws queries; everything is computed
// again from their weights.

LOCUSI_FN int locusi_tradeoff_known(const locus_tradeoff *p)
{
    return !locusi_unknown(p->cost) && !locusi_unknown(p->quality);
}

LOCUS_API size_t locus_hull(const locus_tradeoff *points, size_t count, size_t *picks)
{
    size_t corners = 0, at = SIZE_MAX, i;
    for (i = 0; i < count; i++) {
        const locus_tradeoff *p = &points[i];
        if (!locusi_tradeoff_known(p)) continue;
        if (at == SIZE_MAX || p->cost < points[at].cost ||
            (p->cost <= points[at].cost && p->quality > points[at].quality))
            at = i;
    }
    while (at != SIZE_MAX) { // always the steepest way up, and of equally steep ones the longest
        const locus_tradeoff from = points[at];
        double steepest = 0.0;
        picks[corners++] = at;
        at = SIZE_MAX;
        for (i = 0; i < count; i++) {
            const double cost = points[i].cost - from.cost, quality = points[i].quality - from.quality;
            if (cost <= 0.0 || quality <= 0.0 || !locusi_tradeoff_known(&points[i])) continue;
            if (at == SIZE_MAX || quality / cost > steepest ||
                (quality / cost >= steepest && points[i].cost > points[at].cost)) {
                steepest = quality / cost;
                at = i;
            }
        }
    }
    return corners;
}

LOCUS_API double locus_hull_quality(const locus_tradeoff *points, const size_t *picks, size_t corners, double cost)
{
    size_t i;
    if (!corners || locusi_unknown(cost) || cost < points[picks[0]].cost) return (double)locusi_nan();
    for (i = 1; i < corners; i++) {
        const locus_tradeoff a = points[picks[i - 1]], b = points[picks[i]];
        if (cost < b.cost) return a.quality + (b.quality - a.quality) * ((cost - a.cost) / (b.cost - a.cost));
    }
    return points[picks[corners - 1]].quality;
}

LOCUS_API double locus_hull_cost(const locus_tradeoff *points, const size_t *picks, size_t corners, double quality)
{
    size_t i;
    if (!corners || locusi_unknown(quality)) return (double)locusi_nan();
    if (quality <= points[picks[0]].quality) return points[picks[0]].cost;
    for (i = 1; i < corners; i++) {
        const locus_tradeoff a = points[picks[i - 1]], b = points[picks[i]];
        if (quality <= b.quality) return a.cost + (b.cost - a.cost) * ((quality - a.quality) / (b.quality - a.quality));
    }
    return (double)locusi_nan();
}

LOCUS_API double locus_aiq(const locus_tradeoff *points, const size_t *picks, size_t corners, double low, double high)
{
    locus_tradeoff a = {0.0, 0.0}, b;
    double area = 0.0;
    size_t i;
    if (!corners || locusi_unknown(low) || locusi_unknown(high)) return (double)locusi_nan();
    if (high <= low) {
        a = points[picks[0]];
        return low < a.cost ? a.quality * (low / a.cost) : locus_hull_quality(points, picks, corners, low);
    }
    for (i = 0; i <= corners; i++, a = b) {
        if (i < corners) b = points[picks[i]];
        else b.cost = high, b.quality = a.quality;
        if (b.cost > low && a.cost < high && b.cost > a.cost) {
            const double from = a.cost < low ? low : a.cost, to = b.cost > high ? high : b.cost;
            const double slope = (b.quality - a.quality) / (b.cost - a.cost);
            area += (to - from) * (a.quality + slope * ((from + to) / 2.0 - a.cost));
        }
    }
    return area / (high - low);
}

LOCUSI_FN size_t locusi_draw_row(uint64_t seed, uint64_t resample, uint64_t i, size_t count)
{
    return (size_t)(locusi_mix(seed ^ locusi_mix(resample * 0x9e3779b97f4a7c15u + i + 1)) % count);
}

// The percentiles of `count` values of which one stands every `stride`; they are sorted in spare[count]. Infinite: NaN.
LOCUSI_FN void locusi_percentiles(const double *values, size_t count, size_t stride, double level, double *spare,
                                  locus_interval *out)
{
    const double rank = 0.5 * (1.0 - level) * (double)(count - 1);
    const size_t low = (size_t)(rank + 0.5);
    size_t gap = 1, i, at;
    for (i = 0; i < count; i++) {
        spare[i] = values[i * stride];
        if (locusi_unknown(spare[i])) {
            out->low = out->high = (double)locusi_nan();
            return;
        }
    }
    while (gap < count / 3) gap = 3 * gap + 1;
    for (; gap; gap /= 3)
        for (i = gap; i < count; i++) {
            const double moved = spare[i];
            for (at = i; at >= gap && spare[at - gap] > moved; at -= gap) spare[at] = spare[at - gap];
            spare[at] = moved;
        }
    out->low = locusi_within(spare[low], -DBL_MAX, DBL_MAX) ? spare[low] : (double)locusi_nan();
    out->high =
        locusi_within(spare[count - 1 - low], -DBL_MAX, DBL_MAX) ? spare[count - 1 - low] : (double)locusi_nan();
}

LOCUSI_FN locus_status locusi_check_level(double level, locus_error *err)
{
    if (locusi_within(level, 0.0, 1.0) && level < 1.0) return LOCUS_OK;
    return locusi_fail(err, LOCUS_ERR_ARGUMENT, "level", "above 0 and below 1, or 0 for 0.9", "%f", level);
}

LOCUS_API locus_status locus_paired_difference(const double *a, const double *b, size_t count, double level,
                                               size_t resamples, uint64_t seed, locus_interval *out, locus_error *err)
{
    double *means, sum = 0.0;
    size_t i, r, bytes = 0;
    locus_status status;
    if (!a || !b || !out || !count)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "%s", "%s",
                           !a     ? "a"
                           : !b   ? "b"
                           : !out ? "out"
                                  : "count",
                           a && b && out ? "at least 1" : "a pointer", a && b && out ? "0" : "NULL");
    if ((status = locusi_check_level(level, err))) return status;
    if (!(level > 0.0)) level = 0.9;
    if (!resamples) resamples = 1000;
    for (i = 0; i < count; i++) {
        if (!locusi_within(a[i] - b[i], -DBL_MAX, DBL_MAX))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "a[%z] - b[%z]", "a finite number", "%f", i, i, a[i] - b[i]);
        sum += a[i] - b[i];
    }
    out->value = sum / (double)count;
    means = (double *)(locusi_mul(resamples, 2 * sizeof(double), &bytes) ? LOCUS_MALLOC(bytes) : NULL);
    if (!means) return locusi_fail(err, LOCUS_ERR_MEMORY, "resamples", "%z bytes", "none", bytes);
    for (r = 0; r < resamples; r++) {
        for (sum = 0.0, i = 0; i < count; i++) {
            const size_t at = locusi_draw_row(seed, r, i, count);
            sum += a[at] - b[at];
        }
        means[r] = sum / (double)count;
    }
    locusi_percentiles(means, resamples, 1, level, means + resamples, out);
    LOCUS_FREE(means);
    return LOCUS_OK;
}

// What is computed anew for each resample.
typedef struct locusi_figures {
    double aiq, zero_aiq, aiq_gain, at_leader, cost[LOCUS_FRONTIER_LEVELS], saving[LOCUS_FRONTIER_LEVELS];
} locusi_figures;
#define LOCUSI_FIGURES (sizeof(locusi_figures) / sizeof(double))

typedef struct locusi_replay {
    size_t n, models;          // counted queries, M
    size_t points, blind;      // prices of the router, of the zero router
    float *quality;            // [n, M] 0 where a model is no candidate
    double *cost;              // [n, M] likewise
    unsigned char *candidate;  // [n, M]
    uint32_t *leader, *choice; // [n]; [n, points + blind]
    double *slopes, *lambda;   // [n, M]; [points + blind]
    double *weight;            // [n] of the queries in a resample
    double *chance;            // [M] scratch
    double *mean_cost;         // [M] over all queries where it is known
    locus_tradeoff *at, *zero; // the means under the weights: [points]; [M + blind], a single model with holes: NaN
    locus_tradeoff lead;
    size_t *picks, *zero_picks; // [points], [M + blind]
    unsigned char *corner;      // [points], then [M + blind]: of the hulls of all queries
    double low, high;           // the range of AIQ
    int resampling;             // 1: hulls are of those corners alone, so that luck does not pick among all points
    double *resampled, *spare;  // [resamples, LOCUSI_FIGURES + points], [resamples]
} locusi_replay;

LOCUSI_FN void locusi_replay_carve(locusi_replay *a, size_t n, size_t models, size_t points, size_t resamples,
                                   locusi_carver *c)
{
    size_t cells, choices, figures, zero;
    if (!locusi_mul(n, models, &cells) || !locusi_mul(points, 2, &choices) || !locusi_mul(n, choices, &choices) ||
        !locusi_mul(resamples, LOCUSI_FIGURES + points, &figures) || !locusi_add(models, points, &zero)) {
        c->failed = 1;
        return;
    }
    a->quality = (float *)locusi_carve(c, cells, sizeof(float));
    a->cost = (double *)locusi_carve(c, cells, sizeof(double));
    a->candidate = (unsigned char *)locusi_carve(c, cells, 1);
    a->slopes = (double *)locusi_carve(c, cells, sizeof(double));
    a->leader = (uint32_t *)locusi_carve(c, n, sizeof(uint32_t));
    a->choice = (uint32_t *)locusi_carve(c, choices, sizeof(uint32_t));
    a->weight = (double *)locusi_carve(c, n, sizeof(double));
    a->lambda = (double *)locusi_carve(c, points, 2 * sizeof(double));
    a->chance = (double *)locusi_carve(c, models, sizeof(double));
    a->mean_cost = (double *)locusi_carve(c, models, sizeof(double));
    a->at = (locus_tradeoff *)locusi_carve(c, points, sizeof(locus_tradeoff));
    a->zero = (locus_tradeoff *)locusi_carve(c, zero, sizeof(locus_tradeoff));
    a->picks = (size_t *)locusi_carve(c, points, sizeof(size_t));
    a->zero_picks = (size_t *)locusi_carve(c, zero, sizeof(size_t));
    a->corner = (unsigned char *)locusi_carve(c, points + zero, 1);
    a->resampled = (double *)locusi_carve(c, figures, sizeof(double));
    a->spare = (double *)locusi_carve(c, resamples, sizeof(double));
}

LOCUSI_FN void locusi_tradeoff_add(locus_tradeoff *to, double weight, double cost, double quality)
{
    to->cost += weight * cost;
    to->quality += weight * quality;
}

LOCUSI_FN void locusi_tradeoff_over(locus_tradeoff *to, double n)
{
    to->cost /= n;
    to->quality /= n;
}

// Means under the weights, whose sum is n.
LOCUSI_FN void locusi_replay_means(locusi_replay *a, const locus_single *singles)
{
    const size_t choices = a->points + a->blind;
    size_t i, m, p;
    memset(a->at, 0, a->points * sizeof *a->at);
    memset(a->zero, 0, (a->models + a->blind) * sizeof *a->zero);
    memset(&a->lead, 0, sizeof a->lead);
    for (i = 0; i < a->n; i++) {
        const double w = a->weight[i];
        const float *quality = a->quality + i * a->models;
        const double *cost = a->cost + i * a->models;
        const uint32_t *choice = a->choice + i * choices;
        if (!(w > 0.0)) continue;
        for (m = 0; m < a->models; m++) locusi_tradeoff_add(&a->zero[m], w, cost[m], (double)quality[m]);
        for (p = 0; p < choices; p++)
            locusi_tradeoff_add(p < a->points ? &a->at[p] : &a->zero[a->models + p - a->points], w, cost[choice[p]],
                                (double)quality[choice[p]]);
        locusi_tradeoff_add(&a->lead, w, cost[a->leader[i]], (double)quality[a->leader[i]]);
    }
    for (p = 0; p < a->points; p++) locusi_tradeoff_over(&a->at[p], (double)a->n);
    for (m = 0; m < a->models + a->blind; m++) locusi_tradeoff_over(&a->zero[m], (double)a->n);
    locusi_tradeoff_over(&a->lead, (double)a->n);
    for (m = 0; m < a->models; m++)
        if (singles[m].candidate < a->n) a->zero[m].cost = a->zero[m].quality = (double)locusi_nan();
}

// The figures of these means, and gain[points]. never: what stands for the cost of a quality that is never reached.
LOCUSI_FN void locusi_replay_figures(locusi_replay *a, const double *share, locusi_figures *f, double *gain,
                                     double *zero_cost, double never, size_t *corners, size_t *zero_corners)
{
    size_t p, k;
    for (p = 0; a->resampling && p < a->models + a->blind; p++)
        if (!a->corner[a->points + p]) a->zero[p].cost = (double)locusi_nan();
    *zero_corners = locus_hull(a->zero, a->models + a->blind, a->zero_picks);
    for (p = 0; p < a->points; p++) {
        gain[p] = a->at[p].quality - locus_hull_quality(a->zero, a->zero_picks, *zero_corners, a->at[p].cost);
        if (a->resampling && !a->corner[p]) a->at[p].cost = (double)locusi_nan();
    }
    *corners = locus_hull(a->at, a->points, a->picks);
    if (!a->resampling) { // the range of costs stays
        a->low = *zero_corners ? a->zero[a->zero_picks[0]].cost : (double)locusi_nan();
        a->high = *zero_corners ? a->zero[a->zero_picks[*zero_corners - 1]].cost : (double)locusi_nan();
    }
    f->aiq = locus_aiq(a->at, a->picks, *corners, a->low, a->high);
    f->zero_aiq = locus_aiq(a->zero, a->zero_picks, *zero_corners, a->low, a->high);
    f->aiq_gain = f->aiq - f->zero_aiq;
    f->at_leader = locus_hull_quality(a->at, a->picks, *corners, a->lead.cost) - a->lead.quality;
    for (k = 0; k < LOCUS_FRONTIER_LEVELS; k++) {
        const double quality = share[k] * a->lead.quality;
        f->cost[k] = locus_hull_cost(a->at, a->picks, *corners, quality);
        if (zero_cost) zero_cost[k] = locus_hull_cost(a->zero, a->zero_picks, *zero_corners, quality);
        if (locusi_unknown(f->cost[k])) f->cost[k] = never;
        f->saving[k] = a->lead.cost > 0.0 ? 1.0 - f->cost[k] / a->lead.cost : (double)locusi_nan();
    }
}

// The prices at which the choice among the candidates changes, by the hull of (cost, chance), and where a guard gives
// way; returns how many, at most as many as models.
LOCUSI_FN size_t locusi_replay_slopes(const unsigned char *candidate, const double *cost, const double *chance,
                                      size_t models, const locus_guard *guard, double *slopes)
{
    size_t found = 0, at = SIZE_MAX, m;
    double gives = DBL_MAX;
    for (m = 0; m < models; m++)
        if (candidate[m] && !locusi_unknown(chance[m]) &&
            (at == SIZE_MAX || cost[m] < cost[at] || (cost[m] <= cost[at] && chance[m] > chance[at])))
            at = m;
    while (at != SIZE_MAX) {
        const size_t from = at;
        double steepest = 0.0;
        for (at = SIZE_MAX, m = 0; m < models; m++) {
            double slope;
            if (!candidate[m] || locusi_unknown(chance[m]) || cost[m] <= cost[from] || chance[m] <= chance[from])
                continue;
            slope = (chance[m] - chance[from]) / (cost[m] - cost[from]);
            if (slope > steepest && slope <= DBL_MAX) steepest = slope, at = m;
        }
        if (at != SIZE_MAX) slopes[found++] = steepest;
    }
    at = guard->model;
    if (at == SIZE_MAX || !candidate[at]) return found;
    for (m = 0; m < models; m++)
        if (candidate[m] && cost[m] < cost[at]) {
            const double slope = (chance[at] + guard->margin - chance[m]) / (cost[at] - cost[m]);
            if (slope > 0.0 && slope < gives) gives = slope;
        }
    if (gives < DBL_MAX && found < models) slopes[found++] = gives;
    return found;
}

LOCUSI_FN int locusi_f64_order(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Shared by both functions: the options checked, rules that know which scores there are, which queries count.
LOCUSI_FN locus_status locusi_frontier_check(const float *logits, size_t n, const locus_scores *scores,
                                             const locus_frontier_opts *o, locus_error *err)
{
    locus_status status;
    size_t m;
    if (!logits || !scores)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", logits ? "scores" : "logits");
    if (!scores->models || scores->models > UINT32_MAX)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "scores->models", "1 to 2^32 - 1", "%z", scores->models);
    if ((unsigned)o->among > LOCUS_AMONG_SCORED)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "among", "a locus_among", "%d", (int)o->among);
    for (m = 0; m < o->leader_count; m++)
        if (o->leaders[m] >= scores->models)
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "leaders[%z]", "below %z", "%z", m, scores->models,
                               o->leaders[m]);
    if ((status = locusi_check_level(o->level, err))) return status;
    if ((status = locusi_check_logits(logits, n, scores->models, 0, 1, err))) return status;
    return locusi_check_columns(scores, o->columns, n, err);
}

// Fill the matrices; queries without a candidate of a cost that can be counted are left out. *a->choice is used for the
// rows of the others: the first of their [points] numbers.
LOCUSI_FN locus_status locusi_replay_fill(locusi_replay *a, locusi_rules *r, size_t rows, const locus_scores *scores,
                                          const locus_frontier_opts *o, locus_frontier *out, locus_error *err)
{
    const size_t models = a->models;
    size_t i, m;
    float y;
    for (i = 0; i < rows; i++) {
        const size_t column = o->columns ? o->columns[i] : i;
        float *quality = a->quality + a->n * models;
        double *cost = a->cost + a->n * models, best = -1.0, number = 0.0, sum = 0.0, spent = 0.0, x;
        unsigned char *candidate = a->candidate + a->n * models;
        size_t leader = SIZE_MAX, oracle = SIZE_MAX;
        locusi_rules_at(r, i);
        for (m = 0; m < models; m++) {
            const int scored = locusi_score_at(scores, m, column, &y);
            if (scored && !(y >= 0.0f && y <= 1.0f)) return locusi_bad_score(m, column, y, err);
            candidate[m] = (unsigned char)((scored || o->among == LOCUS_AMONG_ALL) && locusi_candidate(r, m));
            quality[m] = scored ? y : 0.0f;
        }
        r->available = candidate; // what an unknown cost counts as depends on them
        for (r->unpriced = -1.0, m = 0; m < models; m++) {
            x = locusi_cost(r, m);
            if (candidate[m] && !locusi_unknown(x) && x > r->unpriced) r->unpriced = x;
        }
        if (r->unpriced < 0.0) {
            out->left_out++;
            continue;
        }
        for (m = 0; leader == SIZE_MAX; m++) { // there is a candidate, so it ends
            const size_t l = m < o->leader_count ? o->leaders[m] : m - o->leader_count;
            if (candidate[l]) leader = l;
        }
        for (m = 0; m < models; m++) {
            x = locusi_counted_cost(r, m);
            a->mean_cost[m] += x; // also where it has no score: a blind router knows what models cost
            cost[m] = candidate[m] ? x : 0.0;
            if (!candidate[m]) {
                quality[m] = 0.0f;
                continue;
            }
            number += 1.0, sum += (double)quality[m], spent += cost[m];
            if ((double)quality[m] > best || ((double)quality[m] >= best && cost[m] < cost[oracle])) {
                best = (double)quality[m];
                oracle = m;
            }
        }
        out->random.cost += spent / number;
        out->random.quality += sum / number;
        out->oracle.cost += cost[oracle];
        out->oracle.quality += best;
        a->leader[a->n] = (uint32_t)leader;
        a->weight[a->n] = (double)i; // for a moment: the row
        a->n++;
    }
    if (!a->n)
        return locusi_fail(err, LOCUS_ERR_NO_CANDIDATE, "queries",
                           "a query with an available model of known cost and, in a replay, with a score", "none of %z",
                           rows);
    out->queries = a->n;
    out->random.cost /= (double)a->n;
    out->random.quality /= (double)a->n;
    out->oracle.cost /= (double)a->n;
    out->oracle.quality /= (double)a->n;
    return LOCUS_OK;
}

// Quantiles of the sorted prices, without doubles: lambda[wanted or fewer] from 0; returns how many.
LOCUSI_FN size_t locusi_replay_prices(double *slopes, size_t count, size_t wanted, double *lambda)
{
    size_t p, found = 1;
    locusi_sort(slopes, count, sizeof *slopes, locusi_f64_order);
    lambda[0] = 0.0;
    for (p = 1; p < wanted && count; p++) {
        const double price = slopes[(count - 1) * p / (wanted - 1)] * (1.0 + 1e-9);
        if (price > lambda[found - 1] && price <= DBL_MAX) lambda[found++] = price;
    }
    return found;
}

// The prices, and what is chosen at each: by the router, and by the means alone.
LOCUSI_FN void locusi_replay_route(locusi_replay *a, locusi_rules *r, locus_route_opts *rules, const float *logits,
                                   const double *means, size_t wanted)
{
    const size_t models = a->models;
    locus_guard none = {SIZE_MAX, 0.0};
    size_t i, m, p, slopes = 0;
    locus_choice c;
    for (i = 0; i < a->n; i++) {
        for (m = 0; m < models; m++)
            a->chance[m] = locus_probability((double)logits[(size_t)a->weight[i] * models + m]);
        slopes += locusi_replay_slopes(a->candidate + i * models, a->cost + i * models, a->chance, models, &r->guard,
                                       a->slopes + slopes);
    }
    a->points = locusi_replay_prices(a->slopes, slopes, wanted, a->lambda);
    for (slopes = i = 0; means && i < a->n; i++)
        slopes +=
            locusi_replay_slopes(a->candidate + i * models, a->mean_cost, means, models, &none, a->slopes + slopes);
    a->blind = means ? locusi_replay_prices(a->slopes, slopes, wanted, a->lambda + a->points) : 0;
    for (i = 0; i < a->n; i++) {
        uint32_t *choice = a->choice + i * (a->points + a->blind);
        r->available = a->candidate + i * models;
        r->cost = a->cost + i * models; // counted
        for (p = 0; p < a->points; p++) {
            rules->lambda = a->lambda[p];
            locusi_rank_one(r, logits + (size_t)a->weight[i] * models, 0, 1, &c);
            choice[p] = (uint32_t)c.model;
        }
        for (p = a->points; p < a->points + a->blind; p++) {
            double best = -HUGE_VAL;
            choice[p] = a->leader[i]; // where no candidate's mean is known
            for (m = 0; m < models; m++) {
                const double x = means[m] - a->lambda[p] * a->mean_cost[m];
                if (r->available[m] && !locusi_unknown(x) && x > best) best = x, choice[p] = (uint32_t)m;
            }
        }
    }
}

LOCUS_API locus_status locus_frontier_compute(locus_frontier *out, locus_frontier_point *points,
                                              locus_zero_corner *zero, locus_single *singles, const float *logits,
                                              size_t n, const locus_scores *scores, const locus_frontier_opts *opts,
                                              locus_error *err)
{
    static const double share[LOCUS_FRONTIER_LEVELS] = {0.9, 0.95, 0.99, 1.0};
    locus_frontier_opts none;
    const locus_frontier_opts *o = opts;
    locus_route_opts rules;
    locusi_rules r;
    locusi_replay a;
    locusi_figures f;
    locusi_carver c = {NULL, 0, 0};
    size_t wanted, resamples, bytes, i, m, p, k, corners, zero_corners, width, *picks = NULL;
    double level, *gain;
    void *block = NULL;
    locus_status status;
    memset(&none, 0, sizeof none);
    memset(&a, 0, sizeof a);
    if (!o) o = &none;
    if (!out || !points || !zero || !singles)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !out      ? "out"
                           : !points ? "points"
                           : !zero   ? "zero"
                                     : "singles");
    memset(out, 0, sizeof *out);
    if ((status = locusi_frontier_check(logits, n, scores, o, err))) return status;
    rules = *locusi_route_defaults(o->rules, &rules);
    rules.lambda = 0.0;
    a.models = scores->models;
    locusi_rules_make(&r, NULL, a.models, &rules, 1);
    if ((status = locusi_check_route(&r, n, err))) return status;
    wanted = o->points ? o->points : 64;
    resamples = o->resamples ? o->resamples : 1000;
    level = o->level > 0.0 ? o->level : 0.9;
    locusi_replay_carve(&a, n, a.models, wanted, resamples, &c);
    if (!c.failed && locusi_add(c.used, 64, &bytes)) block = LOCUS_MALLOC(bytes);
    if (!block) return locusi_fail(err, LOCUS_ERR_MEMORY, "frontier", "%z bytes", "none", c.used);
    c.base = locusi_align(block);
    c.used = 0;
    locusi_replay_carve(&a, n, a.models, wanted, resamples, &c);
    memset(a.mean_cost, 0, a.models * sizeof *a.mean_cost);
    if ((status = locusi_replay_fill(&a, &r, n, scores, o, out, err))) {
        LOCUS_FREE(block);
        return status;
    }
    for (m = 0; m < a.models; m++) a.mean_cost[m] /= (double)a.n;
    rules.available = NULL; // all that is now in the candidates
    rules.max_cost = 0.0;
    rules.unpriced = LOCUS_UNPRICED_AUTO;
    locusi_rules_make(&r, NULL, a.models, &rules, 1);
    locusi_replay_route(&a, &r, &rules, logits, o->means, wanted);
    for (i = 0; i < a.n; i++) a.weight[i] = 1.0;
    width = LOCUSI_FIGURES + a.points;
    gain = a.resampled; // before the first resample overwrites it
    memset(singles, 0, a.models * sizeof *singles);
    for (i = 0; i < a.n; i++)
        for (m = 0; m < a.models; m++) {
            singles[m].candidate += a.candidate[i * a.models + m];
            locusi_tradeoff_add(&singles[m].mean, 1.0, a.cost[i * a.models + m], (double)a.quality[i * a.models + m]);
        }
    for (m = 0; m < a.models; m++) locusi_tradeoff_over(&singles[m].mean, (double)singles[m].candidate); // 0 / 0 is NaN
    locusi_replay_means(&a, singles);
    locusi_replay_figures(&a, share, &f, gain, out->zero_cost, (double)locusi_nan(), &corners, &zero_corners);
    out->points = a.points;
    out->corners = corners;
    out->zero_corners = zero_corners;
    out->leader_mean = a.lead;
    out->low = a.low;
    out->high = a.high;
    for (k = 0; k < zero_corners; k++) {
        const size_t pick = a.zero_picks[k];
        zero[k].mean = a.zero[pick];
        zero[k].model = pick;
        zero[k].share = 1.0;
        if (pick < a.models) continue;
        memset(a.chance, 0, a.models * sizeof *a.chance); // how often each is taken
        for (i = 0; i < a.n; i++)
            a.chance[a.choice[i * (a.points + a.blind) + a.points + pick - a.models]] += 1.0 / (double)a.n;
        for (zero[k].model = 0, m = 1; m < a.models; m++)
            if (a.chance[m] > a.chance[zero[k].model]) zero[k].model = m;
        zero[k].share = a.chance[zero[k].model];
    }
    for (p = 0; p < a.points; p++) {
        locus_frontier_point *to = &points[p];
        memset(to, 0, sizeof *to);
        to->lambda = a.lambda[p];
        to->cost = a.at[p].cost;
        to->quality = a.at[p].quality;
        to->gain.value = gain[p];
        for (i = 0; i < a.n; i++) to->right += a.quality[i * a.models + a.choice[i * (a.points + a.blind) + p]] > 0.5f;
        to->right /= (double)a.n;
    }
    memset(a.corner, 0, a.points + a.models + a.blind);
    for (k = 0; k < corners; k++) points[a.picks[k]].corner = a.corner[a.picks[k]] = 1;
    for (k = 0; k < zero_corners; k++) a.corner[a.points + a.zero_picks[k]] = 1;
    a.resampling = 1;
    picks = a.zero_picks; // done with: how many queries each model leads
    memset(picks, 0, a.models * sizeof *picks);
    for (i = 0; i < a.n; i++) picks[a.leader[i]]++;
    for (m = 0; m < a.models; m++)
        if (picks[m] > picks[out->leader]) out->leader = m;
    out->aiq.value = f.aiq;
    out->zero_aiq.value = f.zero_aiq;
    out->aiq_gain.value = f.aiq_gain;
    out->at_leader.value = f.at_leader;
    for (k = 0; k < LOCUS_FRONTIER_LEVELS; k++) {
        out->level[k] = share[k] * a.lead.quality;
        out->cost[k].value = f.cost[k];
        out->saving[k].value = f.saving[k];
    }
    for (i = 0; i < resamples; i++) {
        double *to = a.resampled + i * width;
        memset(a.weight, 0, a.n * sizeof *a.weight);
        for (k = 0; k < a.n; k++) a.weight[locusi_draw_row(o->seed, i, k, a.n)] += 1.0;
        locusi_replay_means(&a, singles);
        // never: beyond all costs, so that a percentile beyond what is reached is infinite
        locusi_replay_figures(&a, share, &f, to + LOCUSI_FIGURES, NULL, HUGE_VAL, &corners, &zero_corners);
        memcpy(to, &f, sizeof f);
    }
    for (k = 0; k < width; k++) {
        locus_interval *to = k == 0                              ? &out->aiq
                             : k == 1                            ? &out->zero_aiq
                             : k == 2                            ? &out->aiq_gain
                             : k == 3                            ? &out->at_leader
                             : k < 4 + LOCUS_FRONTIER_LEVELS     ? &out->cost[k - 4]
                             : k < 4 + 2 * LOCUS_FRONTIER_LEVELS ? &out->saving[k - 4 - LOCUS_FRONTIER_LEVELS]
                                                                 : &points[k - LOCUSI_FIGURES].gain;
        if (locusi_unknown(to->value)) to->low = to->high = (double)locusi_nan();
        else locusi_percentiles(a.resampled + k, resamples, width, level, a.spare, to);
    }
    LOCUS_FREE(block);
    return LOCUS_OK;
}

// The gap recovered under these weights (NULL: all 1): mean over the share of queries, in order, that go to `strong`.
// y: [n] pairs of the weak and the strong model's score in that order. reach (may be NULL): least shares that recover
// half and four fifths.
LOCUSI_FN double locusi_gap_area(const float *y, const double *weight, size_t n, double *weak, double *strong,
                                 double *reach)
{
    static const double wanted[2] = {0.5, 0.8};
    double area = 0.0, score = 0.0, total = 0.0, before = 0.0, gone = 0.0;
    size_t i, k;
    *weak = *strong = 0.0;
    for (i = 0; i < n; i++) {
        const double w = weight ? weight[i] : 1.0;
        *weak += w * (double)y[2 * i];
        *strong += w * (double)y[2 * i + 1];
        total += w;
    }
    for (k = 0; reach && k < 2; k++) reach[k] = (double)locusi_nan();
    if (!(*strong > *weak)) return (double)locusi_nan();
    for (i = 0; i < n; i++) {
        const double w = weight ? weight[i] : 1.0;
        score += w * ((double)y[2 * i + 1] - (double)y[2 * i]);
        area += w * 0.5 * (before + score);
        for (k = 0; reach && k < 2; k++) {
            const double need = wanted[k] * (*strong - *weak);
            if (locusi_unknown(reach[k]) && score >= need && score > before)
                reach[k] = (gone + w * (need - before) / (score - before)) / total;
        }
        before = score;
        gone += w;
    }
    return area / total / (*strong - *weak);
}

LOCUS_API locus_status locus_recovered_gap(locus_gap *out, const float *logits, size_t n, const locus_scores *scores,
                                           size_t weak, size_t strong, const locus_frontier_opts *opts,
                                           locus_error *err)
{
    locus_frontier_opts none;
    const locus_frontier_opts *o = opts;
    locus_route_opts rules;
    locusi_rules r;
    locusi_carver c = {NULL, 0, 0};
    size_t resamples, bytes, i, k, attempt, kept = 0, *order = NULL;
    double *key = NULL, *weight = NULL, *area = NULL, *spare = NULL, a, b, reach[2];
    float *y = NULL, *sorted = NULL;
    void *block = NULL;
    locus_status status;
    memset(&none, 0, sizeof none);
    if (!o) o = &none;
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    memset(out, 0, sizeof *out);
    if ((status = locusi_frontier_check(logits, n, scores, o, err))) return status;
    if (weak >= scores->models || strong >= scores->models || weak == strong)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "weak, strong", "two models below %z", "%z and %z", scores->models,
                           weak, strong);
    memset(&rules, 0, sizeof rules);
    if (o->rules) rules.available = o->rules->available, rules.query_available = o->rules->query_available;
    locusi_rules_make(&r, NULL, scores->models, &rules, 0);
    resamples = o->resamples ? o->resamples : 1000;
    for (attempt = 0; attempt < 2; attempt++) {
        c.used = 0;
        key = (double *)locusi_carve(&c, n, sizeof(double));
        weight = (double *)locusi_carve(&c, n, sizeof(double));
        order = (size_t *)locusi_carve(&c, n, sizeof(size_t));
        y = (float *)locusi_carve(&c, n, 2 * sizeof(float));
        sorted = (float *)locusi_carve(&c, n, 2 * sizeof(float));
        area = (double *)locusi_carve(&c, resamples, sizeof(double));
        spare = (double *)locusi_carve(&c, resamples, sizeof(double));
        if (attempt) break;
        if (!c.failed && locusi_add(c.used, 64, &bytes)) block = LOCUS_MALLOC(bytes);
        if (!block) return locusi_fail(err, LOCUS_ERR_MEMORY, "gap", "%z bytes", "none", c.used);
        c.base = locusi_align(block);
    }
    for (i = 0; i < n && !status; i++) {
        const size_t column = o->columns ? o->columns[i] : i;
        const float *row = logits + i * scores->models;
        int candidates = 1;
        locusi_rules_at(&r, i);
        for (k = 0; k < 2 && !status; k++) {
            const size_t m = k ? strong : weak;
            float x = 0.0f;
            const int scored = locusi_score_at(scores, m, column, &x);
            if (scored && !(x >= 0.0f && x <= 1.0f)) status = locusi_bad_score(m, column, x, err);
            candidates &= (scored || o->among == LOCUS_AMONG_ALL) && locusi_candidate(&r, m);
            y[2 * kept + k] = scored ? x : 0.0f;
        }
        if (!candidates) continue;
        key[kept++] = locus_probability((double)row[strong]) - locus_probability((double)row[weak]);
    }
    if (!status && !kept)
        status = locusi_fail(err, LOCUS_ERR_NO_CANDIDATE, "weak, strong", "a query on which both are candidates",
                             "none of %z", n);
    if (!status) {
        locusi_by_key(key, kept, order);
        for (i = 0; i < kept; i++) memcpy(sorted + 2 * i, y + 2 * order[i], 2 * sizeof(float));
        out->queries = kept;
        out->recovered.value = locusi_gap_area(sorted, NULL, kept, &out->weak, &out->strong, reach);
        out->weak /= (double)kept;
        out->strong /= (double)kept;
        out->calls_half = reach[0];
        out->calls_most = reach[1];
        for (i = 0; i < resamples; i++) {
            memset(weight, 0, kept * sizeof *weight);
            for (k = 0; k < kept; k++) weight[locusi_draw_row(o->seed, i, k, kept)] += 1.0;
            area[i] = locusi_gap_area(sorted, weight, kept, &a, &b, NULL);
        }
        locusi_percentiles(area, resamples, 1, o->level > 0.0 ? o->level : 0.9, spare, &out->recovered);
    }
    LOCUS_FREE(block);
    return status;
}
#endif

#ifndef LOCUS_NO_EXPLORE
// ----------------------------------------------------------------------------------------------------- >>calibration

// Each model's pair (scale, shift) minimises the cross-entropy of its held-out evaluations plus a normal prior: around
// the pool's pair, as firm as `shrink` evaluations of average information, v x^2 for the scale and v for the shift with
// v = p (1 - p). The pool's pair does so for all evaluations together, around (1, 0) with a standard deviation of 1/2.
// All models answer the same queries, and a query that is hard for one is hard for others: what counts is the number of
// queries. So the pool's pair is then drawn back to (1, 0) as far as its error over queries (Huber's sandwich, 1967)
// says that it may be chance, and the models' pairs with it (James and Stein 1961, positive part). All of it is convex;
// Newton's steps, halved until the loss falls, in double.

#define LOCUSI_CALIBRATION_LEAST 0.01 // of a scale: a prediction may become dull, but is not turned round

typedef struct locusi_calibrate_sum {
    double loss, slope[2], bend[3]; // loss, its gradient and Hessian (scale scale, scale shift, shift shift)
    double weight, spread;          // sums of v and v x^2
    size_t pairs;
} locusi_calibrate_sum;

typedef struct locusi_calibrate_job {
    const locus_evals *evals;
    const float *logits; // [M, n]
    double pair[2], precision[2];
    double *pairs; // [M, 2] learned; NULL: only sums at `pair`
    locusi_calibrate_sum *sums;
    size_t workers;
    locusi_counter counter;
} locusi_calibrate_job;

// What one model's evaluations say at a pair.
LOCUSI_FN void locusi_calibrate_at(const locusi_calibrate_job *job, size_t model, const double pair[2],
                                   locusi_calibrate_sum *s)
{
    const size_t n = job->evals->queries.count;
    const float *logits = job->logits + model * n;
    size_t i;
    float y;
    memset(s, 0, sizeof *s);
    for (i = 0; i < n; i++) {
        double x, t, p, v;
        if (!locusi_score(job->evals, model, i, &y)) continue;
        x = (double)logits[i];
        t = pair[0] * x + pair[1];
        p = locus_probability(t);
        v = p * (1.0 - p);
        s->loss += (t > 0.0 ? t : 0.0) + log1p(exp(-fabs(t))) - (double)y * t;
        s->slope[0] += (p - (double)y) * x;
        s->slope[1] += p - (double)y;
        s->bend[0] += v * x * x;
        s->bend[1] += v * x;
        s->bend[2] += v;
        s->pairs++;
    }
}

// Of one model, or of all (SIZE_MAX), with the prior around `centre`.
LOCUSI_FN void locusi_calibrate_loss(locusi_calibrate_job *job, const locus_parallel *parallel, size_t model,
                                     const double pair[2], const double centre[2], const double precision[2],
                                     locusi_calibrate_sum *s);

// *pair: from the centre to the least loss. If that has a scale out of bounds, the least loss at the bound.
LOCUSI_FN void locusi_calibrate_fit(locusi_calibrate_job *job, const locus_parallel *parallel, size_t model,
                                    const double centre[2], const double precision[2], double pair[2])
{
    const double most = (double)LOCUSI_CALIBRATION_MOST;
    locusi_calibrate_sum s, next;
    int step, half, held = 0; // held: the scale stays where it is
    pair[0] = centre[0];
    pair[1] = centre[1];
    locusi_calibrate_loss(job, parallel, model, pair, centre, precision, &s);
    for (step = 0; step < 100; step++) {
        const double det = s.bend[0] * s.bend[2] - s.bend[1] * s.bend[1];
        double by[2], size = 1.0, to[2];
        by[0] = held ? 0.0 : (s.bend[1] * s.slope[1] - s.bend[2] * s.slope[0]) / det;
        by[1] = held ? -s.slope[1] / s.bend[2] : (s.bend[1] * s.slope[0] - s.bend[0] * s.slope[1]) / det;
        if (!(-(by[0] * s.slope[0] + by[1] * s.slope[1]) >
              1e-8)) { // what there is to gain; the step's error is its square
            pair[0] += by[0];
            pair[1] += by[1];
            if (held || (pair[0] >= LOCUSI_CALIBRATION_LEAST && pair[0] <= most)) break;
            pair[0] = pair[0] > most ? most : LOCUSI_CALIBRATION_LEAST;
            held = 1;
            locusi_calibrate_loss(job, parallel, model, pair, centre, precision, &s);
            continue;
        }
        for (half = 0; half < 40; half++, size *= 0.5) {
            to[0] = pair[0] + size * by[0];
            to[1] = pair[1] + size * by[1];
            locusi_calibrate_loss(job, parallel, model, to, centre, precision, &next);
            if (next.loss <= s.loss) break;
        }
        if (half == 40) break;
        pair[0] = to[0];
        pair[1] = to[1];
        s = next;
    }
    pair[0] = pair[0] >= LOCUSI_CALIBRATION_LEAST ? pair[0] : LOCUSI_CALIBRATION_LEAST;
    pair[0] = pair[0] <= most ? pair[0] : most;
    pair[1] = pair[1] >= -most ? pair[1] : -most;
    pair[1] = pair[1] <= most ? pair[1] : most;
}

LOCUSI_FN void locusi_calibrate_work(void *arg, size_t worker)
{
    locusi_calibrate_job *job = (locusi_calibrate_job *)arg;
    size_t model, mine = 0;
    while ((model = locusi_next(&job->counter, worker, &mine)) < job->evals->scores.models)
        if (job->pairs) {
            locusi_calibrate_fit(job, NULL, model, job->pair, job->precision, job->pairs + 2 * model);
        } else {
            locusi_calibrate_at(job, model, job->pair, &job->sums[model]);
        }
}

LOCUSI_FN void locusi_calibrate_loss(locusi_calibrate_job *job, const locus_parallel *parallel, size_t model,
                                     const double pair[2], const double centre[2], const double precision[2],
                                     locusi_calibrate_sum *s)
{
    const double off[2] = {pair[0] - centre[0], pair[1] - centre[1]};
    size_t m, j;
    if (model != SIZE_MAX) {
        locusi_calibrate_at(job, model, pair, s);
    } else {
        memset(s, 0, sizeof *s);
        memcpy(job->pair, pair, sizeof job->pair);
        job->counter.next = 0;
        job->counter.workers = job->workers;
        locusi_run(parallel, locusi_calibrate_work, job, job->workers);
        for (m = 0; m < job->evals->scores.models; m++) {
            const locusi_calibrate_sum *one = &job->sums[m];
            s->loss += one->loss;
            for (j = 0; j < 2; j++) s->slope[j] += one->slope[j];
            for (j = 0; j < 3; j++) s->bend[j] += one->bend[j];
            s->pairs += one->pairs;
        }
    }
    s->spread = s->bend[0];
    s->weight = s->bend[2];
    s->loss += 0.5 * (precision[0] * off[0] * off[0] + precision[1] * off[1] * off[1]);
    s->slope[0] += precision[0] * off[0];
    s->slope[1] += precision[1] * off[1];
    s->bend[0] += precision[0];
    s->bend[2] += precision[1];
}

// job->logits <- plain logits, model by model: predicted for some queries at a time, those that a model has a score on.
LOCUSI_FN locus_status locusi_calibrate_predict(const locus_pool *pool, const locus_evals *evals, float *logits,
                                                float *part, size_t part_rows, const locus_parallel *parallel,
                                                void *work, size_t work_bytes, locus_error *err)
{
    const size_t n = evals->queries.count, stride = evals->queries.stride ? evals->queries.stride : evals->queries.dim;
    locus_pool plain = *pool;
    size_t first, i, m;
    locus_status status = LOCUS_OK;
    plain.calibrated = 0;
    for (first = 0; first < n && !status; first += i) {
        locus_queries q = evals->queries;
        for (i = 0; i < part_rows && first + i < n && locusi_scored(evals, first + i); i++) {}
        if (i == 0) { // a row that nobody has a score on: passed over
            i = 1;
            continue;
        }
        q.encodings += first * stride;
        q.count = i;
        status = locusi_predict(&plain, &q, first, part, parallel, work, work_bytes, err);
        for (m = 0; m < pool->count && !status; m++)
            for (i = 0; i < q.count; i++) logits[m * n + first + i] = part[i * pool->count + m];
    }
    return status;
}

// Pseudo-evaluations that hold the models' scales (which 0) or shifts (1) to the pool's: as asked for, or such that
// their prior variance is what their first steps from the pool's pair vary beyond the noise (method of moments).
LOCUSI_FN double locusi_calibrate_shrink(const locusi_calibrate_job *job, int which, double asked)
{
    double squares = 0.0, noise = 0.0, information = 0.0, pairs = 0.0, models = 0.0;
    size_t m;
    if (asked > 0.0) return asked;
    for (m = 0; m < job->evals->scores.models; m++) {
        const locusi_calibrate_sum *s = &job->sums[m];
        const double bend = s->bend[which ? 2 : 0];
        if (s->pairs < 2 || !(bend > 1e-9)) continue;
        squares += s->slope[which] * s->slope[which] / (bend * bend);
        noise += 1.0 / bend;
        information += bend;
        pairs += (double)s->pairs;
        models += 1.0;
    }
    if (models < 2.0) return 1000.0;
    squares = (squares - noise) / models; // the prior's variance, and how many average evaluations tell as much:
    if (!(squares * information * 5000.0 > pairs)) return 5000.0;
    return locusi_clamp(pairs / (squares * information), 20.0, 5000.0);
}

// shared [2] <- less what may be chance; s: at shared.
LOCUSI_FN void locusi_calibrate_steady(const locusi_calibrate_job *job, const locusi_calibrate_sum *s, double shared[2])
{
    const size_t n = job->evals->queries.count;
    double squares[2] = {0.0, 0.0}, fitted[2];
    size_t i, m, j;
    float y;
    for (i = 0; i < n; i++) {
        double sum[2] = {0.0, 0.0};
        for (m = 0; m < job->evals->scores.models; m++) {
            const double x = (double)job->logits[m * n + i];
            double away;
            if (!locusi_score(job->evals, m, i, &y)) continue;
            away = locus_probability(shared[0] * x + shared[1]) - (double)y;
            sum[0] += away * x;
            sum[1] += away;
        }
        for (j = 0; j < 2; j++) squares[j] += sum[j] * sum[j];
    }
    memcpy(fitted, shared, sizeof fitted);
    for (j = 0; j < 2; j++) {
        const double bend = s->bend[j ? 2 : 0], centre = j ? 0.0 : 1.0, off = fitted[j] - centre;
        const double error = squares[j] / (bend * bend);
        shared[j] = centre + (off * off > error ? off - error / off : 0.0);
    }
}

LOCUS_API locus_status locus_pool_calibrate(locus_pool *pool, const locus_evals *evals,
                                            const locus_calibrate_opts *opts, locus_error *err)
{
    static const double one[2] = {1.0, 0.0}, weak[2] = {4.0, 4.0};
    const locus_parallel *parallel = opts ? opts->parallel : NULL;
    const double shrink = opts ? opts->shrink : 0.0;
    const size_t part_rows = 96;
    locusi_carver c = {NULL, 0, 0};
    locusi_calibrate_job job;
    locusi_calibrate_sum s;
    float *logits = NULL, *part = NULL;
    unsigned char *work = NULL;
    double shared[2], fitted[2];
    size_t m, i, n, bytes = 0, work_bytes, used = 0;
    void *block = NULL;
    float y = 0.0f;
    int attempt;
    locus_status status;
    if (!pool || !evals)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", pool ? "evals" : "pool");
    if (!locusi_within(shrink, 0.0, 1e12))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "opts->shrink", "0 to 1e12", "%f", shrink);
    if ((status = locusi_check_queries(pool->net, &evals->queries, err))) return status;
    n = evals->queries.count;
    if (evals->scores.models != pool->count)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "evals->scores.models", "%z, the pool's", "%z", pool->count,
                           evals->scores.models);
    if ((status = locusi_check_scores(&evals->scores, pool->count, n, err))) return status;
    for (m = 0; m < pool->count; m++)
        for (i = 0; i < n; i++) used += (size_t)locusi_score(evals, m, i, &y);
    if (!used) return locusi_fail(err, LOCUS_ERR_EMPTY_SET, "evals", "at least one evaluation", "none");
    memset(&job, 0, sizeof job);
    work_bytes = locus_predict_workspace(pool, part_rows, parallel);
    for (attempt = 0; attempt < 2; attempt++) {
        c.used = 0;
        logits = locusi_carve_floats(&c, pool->count, n);
        part = locusi_carve_floats(&c, pool->count, part_rows);
        job.sums = (locusi_calibrate_sum *)locusi_carve(&c, pool->count, sizeof *job.sums);
        job.pairs = (double *)locusi_carve(&c, pool->count, 2 * sizeof(double));
        work = (unsigned char *)locusi_carve(&c, work_bytes, 1);
        if (attempt) break;
        if (work_bytes && !c.failed && locusi_add(c.used, 64, &bytes)) block = LOCUS_MALLOC(bytes);
        if (!block) return locusi_fail(err, LOCUS_ERR_MEMORY, "calibration", "%z bytes", "none", c.used);
        c.base = locusi_align(block);
    }
    status = locusi_calibrate_predict(pool, evals, logits, part, part_rows, parallel, work, work_bytes, err);
    if (!status) {
        double *const pairs = job.pairs;
        job.evals = evals;
        job.logits = logits;
        job.workers = locusi_workers(parallel);
        job.pairs = NULL;
        locusi_calibrate_fit(&job, parallel, SIZE_MAX, one, weak, shared);
        locusi_calibrate_loss(&job, parallel, SIZE_MAX, shared, one, weak, &s);
        memcpy(job.pair, shared, sizeof shared);
        // one more, so that logits that are all 0 or all certain leave something to hold on to
        job.precision[0] = 1.0 + locusi_calibrate_shrink(&job, 0, shrink) * s.spread / (double)s.pairs;
        job.precision[1] = 1.0 + locusi_calibrate_shrink(&job, 1, shrink) * s.weight / (double)s.pairs;
        job.pairs = pairs;
        job.counter.next = 0;
        job.counter.workers = job.workers;
        locusi_run(parallel, locusi_calibrate_work, &job, job.workers);
        memcpy(fitted, shared, sizeof fitted);
        locusi_calibrate_steady(&job, &s, shared);
        for (m = 0; m < pool->count; m++) {
            const double scale = pairs[2 * m] + shared[0] - fitted[0], shift = pairs[2 * m + 1] + shared[1] - fitted[1];
            pool->calibration[m].scale =
                (float)locusi_clamp(scale, LOCUSI_CALIBRATION_LEAST, (double)LOCUSI_CALIBRATION_MOST);
            pool->calibration[m].shift =
                (float)locusi_clamp(shift, -(double)LOCUSI_CALIBRATION_MOST, (double)LOCUSI_CALIBRATION_MOST);
        }
        pool->calibration_shared.scale = (float)shared[0];
        pool->calibration_shared.shift = (float)shared[1];
        pool->calibrated = 1;
    }
    LOCUS_FREE(block);
    return status;
}

LOCUS_API locus_status locus_reliability(const float *logits, size_t n, const locus_scores *scores,
                                         const size_t *columns, size_t model, locus_bin *bins, size_t count,
                                         double *ece, locus_error *err)
{
    size_t i, m, models, all = 0;
    double gap = 0.0;
    float y;
    if ((!logits && n) || !scores || !bins)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !scores ? "scores"
                           : !bins ? "bins"
                                   : "logits");
    models = scores->models;
    if (!scores->f32 == !scores->u8)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "scores", "f32 or u8", "%s", scores->f32 ? "both" : "neither");
    if (model >= models && model != SIZE_MAX)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "model", "below %z, or SIZE_MAX", "%z", models, model);
    if (!count) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "count", "at least 1", "0");
    memset(bins, 0, count * sizeof *bins);
    for (i = 0; i < n; i++) {
        const size_t column = columns ? columns[i] : i;
        if (column >= scores->count)
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "columns[%z]", "below %z", "%z", i, scores->count, column);
        for (m = model == SIZE_MAX ? 0 : model; m < (model == SIZE_MAX ? models : model + 1); m++) {
            const float logit = logits[i * models + m];
            double p;
            size_t bin;
            if (!locusi_score_at(scores, m, column, &y)) continue;
            if (!(y >= 0.0f && y <= 1.0f))
                return locusi_fail(err, LOCUS_ERR_SCORE, "scores[%z, %z]", "0 to 1, or missing", "%f", m, column,
                                   (double)y);
            if (locusi_is_nan(logit))
                return locusi_fail(err, LOCUS_ERR_NONFINITE, "logits[%z, %z]", "a number", "NaN", i, m);
            p = locus_probability((double)logit);
            bin = (size_t)(p * (double)count);
            if (bin >= count) bin = count - 1;
            bins[bin].predicted += p;
            bins[bin].observed += (double)y;
            bins[bin].pairs++;
            all++;
        }
    }
    for (i = 0; i < count; i++) {
        locus_bin *b = &bins[i];
        gap += fabs(b->predicted - b->observed);
        b->predicted = b->pairs ? b->predicted / (double)b->pairs : (double)locusi_nan();
        b->observed = b->pairs ? b->observed / (double)b->pairs : (double)locusi_nan();
    }
    if (ece) *ece = all ? gap / (double)all : (double)locusi_nan();
    return LOCUS_OK;
}

// ---------------------------------------------------------------------------------------------------------- >>points
//
// Every metric follows from one number of each pair, t = u_a + u_b - a . b, and grows with it:
//
//     cosine         rows scaled to length 1      u = 1/2           t
//     Euclidean      rows less the mean, scaled   u = |a|^2 / 2     sqrt(2 t) / scale
//     disagreement   rows as they are             u = sum(a) / 2    2 t / dim
//
// So the distances of many rows are a matrix product. Where t is small beside u_a + u_b, the product's rounding is all
// that is left of it: such a distance is taken anew from the two rows, in double (locusi_apart). That is also what
// neighbours are told apart by.

LOCUS_API locus_points locus_pool_points(const locus_pool *pool)
{
    locus_points p;
    memset(&p, 0, sizeof p);
    if (!pool) return p;
    p.rows = pool->z;
    p.count = pool->count;
    p.dim = pool->net->d;
    p.stride = pool->net->dp;
    return p;
}

LOCUS_API const char *locus_metric_name(locus_metric metric)
{
    switch (metric) {
    case LOCUS_COSINE: return "cosine";
    case LOCUS_EUCLIDEAN: return "euclidean";
    case LOCUS_DISAGREEMENT: return "disagreement";
    default: return NULL;
    }
}

#define LOCUSI_POINT_LIMIT 1e18f // larger numbers are refused: no distance shall overflow

// Rows that can be read, of finite and sensible numbers; with `chances`, of numbers in [0,1].
LOCUSI_FN locus_status locusi_check_points(const locus_points *p, const char *name, int chances, locus_error *err)
{
    const size_t stride = p && p->stride ? p->stride : p ? p->dim : 0;
    size_t i, j, cells;
    if (!p) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", name);
    if (!p->count) return LOCUS_OK;
    if (!p->rows) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s.rows", "an array", "NULL", name);
    if (!p->dim) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s.dim", "at least 1", "0", name);
    if (stride < p->dim)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s.stride", "0 or at least %z", "%z", name, p->dim, stride);
    if (!locusi_mul(p->count, stride, &cells) || cells > SIZE_MAX / 16)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "rows that fit into memory", "%z x %z", name, p->count,
                           stride);
    for (i = 0; i < p->count; i++)
        for (j = 0; j < p->dim; j++) {
            const float x = p->rows[i * stride + j];
            if (!locusi_finite(x) || fabsf(x) > LOCUSI_POINT_LIMIT)
                return locusi_fail(err, LOCUS_ERR_NONFINITE, "%s.rows[%z, %z]", "a finite number of sensible size",
                                   "%f", name, i, j, (double)x);
            if (chances && (x < 0.0f || x > 1.0f))
                return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s.rows[%z, %z]", "a chance, 0 to 1", "%f", name, i, j,
                                   (double)x);
        }
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_check_work(const void *work, size_t work_bytes, size_t bytes, locus_error *err)
{
    if (!bytes) return locusi_fail(err, LOCUS_ERR_OVERFLOW, "work", "sizes that fit into memory", "larger ones");
    if (!work || work_bytes < bytes)
        return locusi_fail(err, LOCUS_ERR_MEMORY, "work", "%z bytes", "%z", bytes, work ? work_bytes : 0);
    return LOCUS_OK;
}

LOCUSI_FN const locus_explore_opts *locusi_explore_defaults(const locus_explore_opts *opts, locus_explore_opts *zero)
{
    memset(zero, 0, sizeof *zero);
    return opts ? opts : zero;
}

LOCUSI_FN size_t locusi_carved(const locusi_carver *c)
{
    size_t bytes;
    return c->failed || !locusi_add(c->used, 64, &bytes) ? 0 : bytes;
}

// ---- work in items, spread over the workers; with a progress function, in rounds, so that it is called in between, on
// the calling thread

typedef struct locusi_sweep {
    void (*item)(void *arg, size_t worker, size_t item);
    void *arg;
    size_t workers, begin, end;
    locusi_counter counter;
} locusi_sweep;

LOCUSI_FN size_t locusi_explore_workers(const locus_parallel *parallel)
{
    const size_t workers = locusi_workers(parallel);
    return workers < 64 ? workers : 64;
}

LOCUSI_FN void locusi_sweep_work(void *arg, size_t worker)
{
    locusi_sweep *s = (locusi_sweep *)arg;
    size_t i, mine = 0;
    while ((i = locusi_next(&s->counter, worker, &mine)) < s->end - s->begin) s->item(s->arg, worker, s->begin + i);
}

// done of total: what the caller's progress function is told before the first of these items
LOCUSI_FN locus_status locusi_sweep_run(void (*item)(void *arg, size_t worker, size_t item), void *arg, size_t items,
                                        size_t done, size_t total, const locus_explore_opts *o, locus_error *err)
{
    locusi_sweep s;
    size_t round;
    s.item = item;
    s.arg = arg;
    s.workers = locusi_explore_workers(o->parallel);
    round = o->progress ? 16 * s.workers : items;
    for (s.begin = 0; s.begin < items; s.begin = s.end) {
        s.end = items - s.begin < round ? items : s.begin + round;
        s.counter.next = 0;
        s.counter.workers = s.workers;
        if (o->progress && o->progress(o->user, done + s.begin, total))
            return locusi_fail(err, LOCUS_ERR_CANCELLED, "progress", "", "");
        locusi_run(o->parallel, locusi_sweep_work, &s, s.workers);
    }
    return LOCUS_OK;
}

// The last call; what is done is done, so its answer does not matter.
LOCUSI_FN void locusi_sweep_end(const locus_explore_opts *o, size_t total)
{
    if (o->progress) (void)o->progress(o->user, total, total);
}

// ---- profiles

typedef struct locusi_profiles_job {
    const float *logits; // [rows, models]
    float *profiles;
    size_t rows, models, stride;
} locusi_profiles_job;

LOCUSI_FN void locusi_profiles_item(void *arg, size_t worker, size_t item)
{
    const locusi_profiles_job *job = (const locusi_profiles_job *)arg;
    const size_t first = 16 * item, end = job->models - first < 16 ? job->models : first + 16;
    size_t i, m;
    (void)worker;
    for (i = 0; i < job->rows; i++)
        for (m = first; m < end; m++)
            job->profiles[m * job->stride + i] = (float)locus_probability((double)job->logits[i * job->models + m]);
}

LOCUS_API size_t locus_profiles_workspace(const locus_pool *pool, size_t count, const locus_parallel *parallel)
{
    size_t bytes, cells, logits;
    if (!pool) return 0;
    bytes = locus_predict_workspace(pool, count, parallel);
    if (!bytes || !locusi_mul(locusi_route_block(pool, count), pool->count, &cells) ||
        !locusi_mul(cells, sizeof(float), &logits) || !locusi_add(bytes, logits, &bytes) ||
        !locusi_add(bytes, 64, &bytes))
        return 0;
    return bytes;
}

LOCUS_API locus_status locus_profiles(const locus_pool *pool, const locus_queries *queries, float *profiles,
                                      const locus_parallel *parallel, void *work, size_t work_bytes, locus_error *err)
{
    locusi_profiles_job job;
    locus_explore_opts o;
    locus_queries part;
    unsigned char *buffer, *rest;
    locus_status status;
    size_t block, i;
    if (!pool || !queries || !profiles)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !pool      ? "pool"
                           : !queries ? "queries"
                                      : "profiles");
    if ((status = locusi_check_queries(pool->net, queries, err))) return status;
    if (pool->count == 0 || queries->count == 0) return LOCUS_OK;
    if ((status = locusi_check_work(work, work_bytes, locus_profiles_workspace(pool, queries->count, parallel), err)))
        return status;
    memset(&o, 0, sizeof o);
    o.parallel = parallel;
    block = locusi_route_block(pool, queries->count);
    buffer = locusi_align(work);
    rest = buffer + block * pool->count * sizeof(float);
    part = *queries;
    part.stride = queries->stride ? queries->stride : queries->dim;
    for (i = 0; i < queries->count; i += part.count) {
        part.encodings = queries->encodings + i * part.stride;
        part.count = queries->count - i < block ? queries->count - i : block;
        if ((status = locusi_predict(pool, &part, i, (float *)(void *)buffer, parallel, rest,
                                     work_bytes - (size_t)(rest - (unsigned char *)work), err)))
            return status;
        job.logits = (const float *)(const void *)buffer;
        job.profiles = profiles + i;
        job.rows = part.count;
        job.models = pool->count;
        job.stride = queries->count;
        if ((status = locusi_sweep_run(locusi_profiles_item, &job, (pool->count + 15) / 16, 0, 1, &o, err)))
            return status;
    }
    return LOCUS_OK;
}

LOCUS_API locus_status locus_profiles_known(float *profiles, const locus_evals *evals, locus_error *err)
{
    size_t m, i;
    float y;
    locus_status status;
    if (!profiles || !evals)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", profiles ? "evals" : "profiles");
    if (!evals->scores.models) return LOCUS_OK;
    if ((status = locusi_check_scores(&evals->scores, 0, evals->queries.count, err))) return status;
    for (m = 0; m < evals->scores.models; m++)
        for (i = 0; i < evals->queries.count; i++)
            if (locusi_score(evals, m, i, &y)) profiles[m * evals->queries.count + i] = y;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_category_means(const locus_points *profiles, const int32_t *category, size_t categories,
                                            double *out, locus_error *err)
{
    const locus_status status = locusi_check_points(profiles, "profiles", 0, err);
    size_t i, j, c, of;
    if (status) return status;
    if (!profiles->count || !categories) return LOCUS_OK;
    if (!category || !out)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "an array", "NULL", !category ? "category" : "out");
    for (c = 0; c < categories; c++) { // one query at least?
        for (j = of = 0; j < profiles->dim; j++) of += category[j] >= 0 && (size_t)category[j] == c;
        for (i = 0; i < profiles->count; i++) out[i * categories + c] = of ? 0.0 : (double)locusi_nan();
    }
    for (i = 0; i < profiles->count; i++) {
        const float *row = profiles->rows + i * (profiles->stride ? profiles->stride : profiles->dim);
        double *sum = out + i * categories;
        for (j = 0; j < profiles->dim; j++)
            if (category[j] >= 0 && (size_t)category[j] < categories) sum[category[j]] += (double)row[j];
    }
    for (c = 0; c < categories; c++) {
        for (j = of = 0; j < profiles->dim; j++) of += category[j] >= 0 && (size_t)category[j] == c;
        for (i = 0; of && i < profiles->count; i++) out[i * categories + c] /= (double)of;
    }
    return LOCUS_OK;
}

// ---- distances

typedef struct locusi_side { // rows as one side of the product
    const float *rows;
    size_t count, stride;
    double *length; // [count] cosine: |row|
    float *term;    // [padded count] u
    float *packed;  // [dim -> padded count], for the right side
} locusi_side;

typedef struct locusi_space {
    locus_metric metric;
    const locusi_kernels *k;
    size_t dim;
    double scale, *mean; // Euclidean: a power of 2, and the mean of the right side's rows
} locusi_space;

#define LOCUSI_FAR 1e30f // the term of columns that are none

LOCUSI_FN void locusi_side_carve(locusi_side *side, const locus_points *p, int pack, locusi_carver *c)
{
    memset(side, 0, sizeof *side);
    if (!p) return;
    side->rows = p->rows;
    side->count = p->count;
    side->stride = p->stride ? p->stride : p->dim;
    if (p->count > SIZE_MAX / 16) c->failed = 1;
    side->length = (double *)locusi_carve(c, p->count, sizeof(double));
    side->term = locusi_carve_floats(c, locusi_pad(p->count), 1);
    if (pack) side->packed = locusi_carve_floats(c, locusi_pad(p->count), p->dim);
}

// What a row's number at column j is in the product.
LOCUSI_FN float locusi_coordinate(const locusi_space *s, const locusi_side *side, size_t i, size_t j)
{
    const float x = side->rows[i * side->stride + j];
    if (s->metric == LOCUS_COSINE) return side->length[i] > 0.0 ? (float)((double)x / side->length[i]) : 0.0f;
    return s->metric == LOCUS_EUCLIDEAN ? (float)(((double)x - s->mean[j]) * s->scale) : x;
}

LOCUSI_FN double locusi_row_square(const locusi_space *s, const float *row)
{
    double sum = 0.0;
    size_t j;
    for (j = 0; j < s->dim; j++) {
        const double x = s->metric == LOCUS_EUCLIDEAN ? (double)row[j] - s->mean[j] : (double)row[j];
        sum += x * x;
    }
    return sum;
}

// Terms, lengths and, on the right side, the packed rows. Euclidean: |a - b| is the same for rows less any vector; the
// mean makes them short, and scaled so that the longest is about 1, none overflows or vanishes.
LOCUSI_FN void locusi_space_prepare(locusi_space *s, locusi_side *a, locusi_side *b)
{
    locusi_side *side = b;
    double most = 0.0;
    size_t i, j;
    s->scale = 1.0;
    if (s->metric == LOCUS_EUCLIDEAN) {
        memset(s->mean, 0, s->dim * sizeof(double));
        for (i = 0; i < b->count; i++)
            for (j = 0; j < s->dim; j++) s->mean[j] += (double)b->rows[i * b->stride + j];
        for (j = 0; b->count && j < s->dim; j++) s->mean[j] /= (double)b->count;
        for (side = b;; side = a) {
            for (i = 0; i < side->count; i++) {
                const double square = locusi_row_square(s, side->rows + i * side->stride);
                if (square > most) most = square;
            }
            if (side == a) break;
        }
        for (most = sqrt(most); most > 0.0 && most * s->scale < 0.5;) s->scale *= 2.0;
        while (most * s->scale > 1.0) s->scale *= 0.5;
    }
    for (side = b;; side = a) {
        for (i = 0; i < side->count; i++) {
            const float *row = side->rows + i * side->stride;
            double sum = 0.0;
            if (s->metric == LOCUS_DISAGREEMENT) {
                for (j = 0; j < s->dim; j++) sum += (double)row[j];
            } else {
                sum = locusi_row_square(s, row);
                side->length[i] = sqrt(sum);
                sum = s->metric == LOCUS_COSINE ? 1.0 : sum * s->scale * s->scale;
            }
            side->term[i] = (float)(0.5 * sum);
        }
        for (; i < locusi_pad(side->count); i++) side->term[i] = LOCUSI_FAR;
        if (side == a) break;
    }
    if (!b->packed) return;
    for (i = 0; i < locusi_pad(b->count); i++)
        for (j = 0; j < s->dim; j++)
            b->packed[i / 16 * 16 * s->dim + 16 * j + i % 16] = i < b->count ? locusi_coordinate(s, b, i, j) : 0.0f;
}

// out [count, dim] <- rows first .. as the left side: with their signs changed, so that the product is -a . b
LOCUSI_FN void locusi_take_rows(const locusi_space *s, const locusi_side *a, size_t first, size_t count, float *out)
{
    size_t i, j;
    for (i = 0; i < count; i++)
        for (j = 0; j < s->dim; j++) *out++ = -locusi_coordinate(s, a, first + i, j);
}

// c [rows, columns] <- -a . b (+ bias) for taken rows and the right side's columns first ..; both multiples of 16. Long
// rows in parts: it keeps the parts in the cache and the sums' rounding small.
LOCUSI_FN void locusi_space_product(const locusi_space *s, const float *a, size_t rows, const locusi_side *b,
                                    size_t first, size_t columns, const float *bias, float *c, size_t ldc)
{
    locusi_matmul m;
    size_t at;
    m.lda = s->dim, m.step = 1, m.rows = rows;
    m.ldb = 16, m.panel = 16 * s->dim, m.panels = columns / 16;
    m.c = c, m.ldc = ldc, m.ldr = ldc, m.relu = 0;
    for (at = 0; at < s->dim; at += m.k) {
        m.k = s->dim - at < 256 ? s->dim - at : 256;
        m.a = a + at;
        m.b = b->packed + first * s->dim + 16 * at;
        m.bias = at ? NULL : bias;
        m.residual = at ? c : NULL;
        s->k->matmul(&m);
    }
}

// The distance of two rows, from the rows themselves: the same for (a, b) and (b, a), 0 for equal rows.
LOCUSI_FN float locusi_apart(const locusi_space *s, const locusi_side *a, size_t i, const locusi_side *b, size_t j)
{
    const float *x = a->rows + i * a->stride, *y = b->rows + j * b->stride;
    const size_t whole = s->dim / 4 * 4;
    double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0; // four chains, not one: the additions wait for one another
    size_t k;
#define LOCUSI_SUM(term)                                                                                               \
    for (k = 0; k < whole; k += 4) {                                                                                   \
        s0 += term(0);                                                                                                 \
        s1 += term(1);                                                                                                 \
        s2 += term(2);                                                                                                 \
        s3 += term(3);                                                                                                 \
    }                                                                                                                  \
    for (; k < s->dim; k++) s0 += term(0);                                                                             \
    s0 = (s0 + s1) + (s2 + s3);
#define LOCUSI_DOT(c) ((double)x[k + c] * (double)y[k + c])
#define LOCUSI_SQUARE(c) (((double)x[k + c] - (double)y[k + c]) * ((double)x[k + c] - (double)y[k + c]))
#define LOCUSI_UNLIKE(c) ((double)x[k + c] * (1.0 - (double)y[k + c]) + (double)y[k + c] * (1.0 - (double)x[k + c]))
    if (s->metric == LOCUS_COSINE) {
        const double lengths = a->length[i] * b->length[j];
        if (!(lengths > 0.0)) return 1.0f;
        LOCUSI_SUM(LOCUSI_DOT)
        s0 = 1.0 - s0 / lengths;
        return s0 < 1e-14 ? 0.0f : s0 > 2.0 ? 2.0f : (float)s0; // less than the rounding of 1
    }
    if (s->metric == LOCUS_EUCLIDEAN) {
        LOCUSI_SUM(LOCUSI_SQUARE)
        return (float)sqrt(s0);
    }
    LOCUSI_SUM(LOCUSI_UNLIKE)
    return (float)(s0 / (double)s->dim);
#undef LOCUSI_SUM
#undef LOCUSI_DOT
#undef LOCUSI_SQUARE
#undef LOCUSI_UNLIKE
}

LOCUSI_FN float locusi_distance_of(const locusi_space *s, float t) // see the table above
{
    if (s->metric == LOCUS_COSINE) return t;
    if (s->metric == LOCUS_EUCLIDEAN) return (float)(sqrt(2.0 * (double)t) / s->scale);
    return (float)(2.0 * (double)t / (double)s->dim);
}

// From c = -a . b of the product: one number for each pair, whichever tile and thread it comes from, and for (b, a).
LOCUSI_FN float locusi_distance(const locusi_space *s, const locusi_side *a, size_t i, const locusi_side *b, size_t j,
                                float c)
{
    const float u = a->term[i] + b->term[j], t = u + c;
    return t < 0.1f * u ? locusi_apart(s, a, i, b, j) : locusi_distance_of(s, t);
}

#define LOCUSI_TILE_ROWS ((size_t)48)
#define LOCUSI_TILE_COLUMNS ((size_t)256)

typedef struct locusi_distances_scratch {
    float *rows, *c; // [TILE_ROWS, dim], [TILE_ROWS, TILE_COLUMNS]
} locusi_distances_scratch;

typedef struct locusi_distances_job {
    locusi_space space;
    locusi_side left, right, *a, *b; // a is b where all rows meet all rows of the same list
    int half;                        // only row i's distances from 0 .. i-1, at out + i (i-1) / 2
    float *out;
    locusi_distances_scratch *scratch;
} locusi_distances_job;

LOCUSI_FN void locusi_distances_plan(locusi_distances_job *job, const locus_points *a, const locus_points *b,
                                     const locus_explore_opts *o, locusi_carver *c)
{
    const size_t workers = locusi_explore_workers(o->parallel);
    size_t i;
    memset(job, 0, sizeof *job);
    job->space.metric = o->metric;
    job->space.dim = a->dim;
    job->space.mean = (double *)locusi_carve(c, a->dim, sizeof(double));
    if (b) locusi_side_carve(&job->left, a, 0, c);
    locusi_side_carve(&job->right, b ? b : a, 1, c);
    job->scratch = (locusi_distances_scratch *)locusi_carve(c, workers, sizeof(locusi_distances_scratch));
    for (i = 0; i < workers; i++) {
        locusi_distances_scratch unused, *w = c->base ? &job->scratch[i] : &unused;
        w->rows = locusi_carve_floats(c, LOCUSI_TILE_ROWS, a->dim);
        w->c = locusi_carve_floats(c, LOCUSI_TILE_ROWS, LOCUSI_TILE_COLUMNS);
    }
}

LOCUSI_FN void locusi_distances_item(void *arg, size_t worker, size_t item)
{
    const locusi_distances_job *job = (const locusi_distances_job *)arg;
    const locusi_distances_scratch *w = &job->scratch[worker];
    const locusi_side *a = job->a, *b = job->b;
    const size_t first = item * LOCUSI_TILE_ROWS;
    const size_t rows = a->count - first < LOCUSI_TILE_ROWS ? a->count - first : LOCUSI_TILE_ROWS;
    const size_t end = job->half ? first + rows : b->count;
    size_t at, i, j;
    locusi_take_rows(&job->space, a, first, rows, w->rows);
    for (at = 0; at < end; at += LOCUSI_TILE_COLUMNS) {
        const size_t columns = end - at < LOCUSI_TILE_COLUMNS ? end - at : LOCUSI_TILE_COLUMNS;
        locusi_space_product(&job->space, w->rows, rows, b, at, locusi_pad(columns), NULL, w->c, LOCUSI_TILE_COLUMNS);
        for (i = first; i < first + rows; i++) {
            const size_t stop = !job->half ? at + columns : i < at + columns ? i : at + columns;
            const float *c = w->c + (i - first) * LOCUSI_TILE_COLUMNS;
            float *out = job->out + (job->half ? i * (i - (i > 0)) / 2 : i * b->count);
            for (j = at; j < stop; j++) out[j] = locusi_distance(&job->space, a, i, b, j, c[j - at]);
        }
    }
}

// The job's points are checked; out holds count x count or, half, count (count - 1) / 2.
LOCUSI_FN locus_status locusi_distances_run(locusi_distances_job *job, int half, float *out,
                                            const locus_explore_opts *o, size_t total, locus_error *err)
{
    locus_isa isa = o->isa;
    const locus_status status = locusi_isa_choose(&isa, err);
    if (status) return status;
    job->space.k = locusi_kernels_for(isa);
    job->b = &job->right;
    job->a = job->left.rows ? &job->left : job->b;
    job->half = half;
    job->out = out;
    locusi_space_prepare(&job->space, job->a, job->b);
    return locusi_sweep_run(locusi_distances_item, job, (job->a->count + LOCUSI_TILE_ROWS - 1) / LOCUSI_TILE_ROWS, 0,
                            total, o, err);
}

LOCUSI_FN locus_status locusi_check_metric(const locus_explore_opts *o, locus_error *err)
{
    if (locus_metric_name(o->metric)) return LOCUS_OK;
    return locusi_fail(err, LOCUS_ERR_ARGUMENT, "metric", "one of locus_metric", "%d", (int)o->metric);
}

LOCUS_API size_t locus_distances_workspace(const locus_points *a, const locus_points *b, const locus_explore_opts *opts)
{
    locus_explore_opts zero;
    locusi_distances_job job;
    locusi_carver c = {NULL, 0, 0};
    if (!a) return 0;
    locusi_distances_plan(&job, a, b, locusi_explore_defaults(opts, &zero), &c);
    return locusi_carved(&c);
}

LOCUS_API locus_status locus_distances(const locus_points *a, const locus_points *b, float *out,
                                       const locus_explore_opts *opts, void *work, size_t work_bytes, locus_error *err)
{
    locus_explore_opts zero;
    const locus_explore_opts *o = locusi_explore_defaults(opts, &zero);
    locusi_distances_job job;
    locusi_carver c = {NULL, 0, 0};
    locus_status status;
    if ((status = locusi_check_metric(o, err)) ||
        (status = locusi_check_points(a, "a", o->metric == LOCUS_DISAGREEMENT, err)) ||
        (b && (status = locusi_check_points(b, "b", o->metric == LOCUS_DISAGREEMENT, err))))
        return status;
    if (!a->count || (b && !b->count)) return LOCUS_OK;
    if (b && b->dim != a->dim) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "b.dim", "%z, a's", "%z", a->dim, b->dim);
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "an array", "NULL");
    if ((status = locusi_check_work(work, work_bytes, locus_distances_workspace(a, b, o), err))) return status;
    c.base = locusi_align(work);
    locusi_distances_plan(&job, a, b, o, &c);
    if ((status = locusi_distances_run(&job, 0, out, o, (a->count + LOCUSI_TILE_ROWS - 1) / LOCUSI_TILE_ROWS, err)))
        return status;
    locusi_sweep_end(o, (a->count + LOCUSI_TILE_ROWS - 1) / LOCUSI_TILE_ROWS);
    return LOCUS_OK;
}

// ------------------------------------------------------------------------------------------------------ >>neighbours
//
// A tile of rows meets all others as a matrix product that stays in the cache. From it a row looks only at those that
// may be nearer than the farthest that it keeps, allowing for the product's rounding: so few that the distance of each
// is taken from the rows themselves. What is found is exact, and the same with every instruction set.

#define LOCUSI_SIFT_ROWS ((size_t)192)
#define LOCUSI_SIFT_LD (LOCUSI_TILE_COLUMNS + 16) // not a power of 2: the rows shall not meet in the same cache lines

typedef struct locusi_sift_scratch {
    float *rows, *c; // [SIFT_ROWS, dim], [SIFT_ROWS, SIFT_LD]
    float *farthest; // [SIFT_ROWS] a row farther than this is of no interest
    size_t *found;   // [SIFT_ROWS] how many are kept
} locusi_sift_scratch;

typedef struct locusi_sift {
    locusi_space space;
    locusi_side left, right, *a, *b;
    float *bias;          // [padded count of b] its terms; LOCUSI_FAR: not looked at
    float *reach;         // [tiles of b] largest term
    double slack;         // rounding of -a . b + u_b in units of u_a + u_b, at most
    const uint32_t *list; // rows of a to be looked at; NULL: all
    size_t count;         // how many
    locusi_sift_scratch *scratch;
    void *user;
    // b's row j may be of interest to row i: keep it, if so; returns the new farthest, negative if nothing more
    // matters. Called with ascending j; *found is 0 at first and the caller's.
    float (*offer)(const struct locusi_sift *s, size_t i, size_t j, size_t *found, float farthest);
    void (*finish)(const struct locusi_sift *s, size_t i, size_t found);
} locusi_sift;

LOCUSI_FN void locusi_sift_plan(locusi_sift *s, const locus_points *a, const locus_points *b,
                                const locus_explore_opts *o, locusi_carver *c)
{
    const size_t workers = locusi_explore_workers(o->parallel);
    size_t i;
    memset(s, 0, sizeof *s);
    s->space.metric = o->metric;
    s->space.dim = b->dim;
    s->space.mean = (double *)locusi_carve(c, b->dim, sizeof(double));
    if (a) locusi_side_carve(&s->left, a, 0, c);
    locusi_side_carve(&s->right, b, 1, c);
    s->bias = locusi_carve_floats(c, locusi_pad(b->count), 1);
    s->reach = locusi_carve_floats(c, b->count / LOCUSI_TILE_COLUMNS + 1, 1);
    s->scratch = (locusi_sift_scratch *)locusi_carve(c, workers, sizeof(locusi_sift_scratch));
    for (i = 0; i < workers; i++) {
        locusi_sift_scratch unused, *w = c->base ? &s->scratch[i] : &unused;
        w->rows = locusi_carve_floats(c, LOCUSI_SIFT_ROWS, b->dim);
        w->c = locusi_carve_floats(c, LOCUSI_SIFT_ROWS, LOCUSI_SIFT_LD);
        w->farthest = locusi_carve_floats(c, LOCUSI_SIFT_ROWS, 1);
        w->found = (size_t *)locusi_carve(c, LOCUSI_SIFT_ROWS, sizeof(size_t));
    }
}

LOCUSI_FN locus_status locusi_sift_prepare(locusi_sift *s, const locus_explore_opts *o, locus_error *err)
{
    const size_t chain = s->space.dim < 256 ? s->space.dim : 256;
    locus_isa isa = o->isa;
    const locus_status status = locusi_isa_choose(&isa, err);
    size_t roundings, j;
    if (status) return status;
    s->space.k = locusi_kernels_for(isa);
    s->b = &s->right;
    s->a = s->left.rows ? &s->left : s->b;
    s->count = s->a->count;
    locusi_space_prepare(&s->space, s->a, s->b);
    // |a . b| <= |a| |b| <= sqrt(2 u_a 2 u_b) <= u_a + u_b. Each step of a chain rounds once, or twice without a fused
    // multiply-add, by 2^-24 at most; the rest is for the rounding of coordinates, terms and limit.
    roundings = 2 * chain + s->space.dim / 256 + 20;
    s->slack = (double)roundings / 16777216.0;
    memset(s->reach, 0, (s->b->count / LOCUSI_TILE_COLUMNS + 1) * sizeof(float));
    for (j = 0; j < locusi_pad(s->b->count); j++) {
        float *reach = &s->reach[j / LOCUSI_TILE_COLUMNS];
        s->bias[j] = j < s->b->count && (!o->available || o->available[j]) ? s->b->term[j] : LOCUSI_FAR;
        if (s->bias[j] < LOCUSI_FAR && s->bias[j] > *reach) *reach = s->bias[j];
    }
    return LOCUS_OK;
}

// The largest -a . b + u_b that the product can give for a row of this tile that is no farther than `farthest`.
LOCUSI_FN float locusi_sift_limit(const locusi_sift *s, size_t i, float farthest, size_t tile)
{
    const double d = (double)farthest, u = (double)s->a->term[i];
    double t;
    if (d < 0.0) return -FLT_MAX;
    if (s->space.metric == LOCUS_COSINE) t = d;
    else if (s->space.metric == LOCUS_EUCLIDEAN) t = 0.5 * d * s->space.scale * d * s->space.scale;
    else t = 0.5 * d * (double)s->space.dim;
    t = t * 1.000001 + s->slack * (u + (double)s->reach[tile]) + 1e-30 - u;
    return t < 1e29 ? (float)t : 1e29f; // less than LOCUSI_FAR
}

LOCUSI_FN void locusi_sift_item(void *arg, size_t worker, size_t item)
{
    const locusi_sift *s = (const locusi_sift *)arg;
    const locusi_sift_scratch *w = &s->scratch[worker];
    const size_t first = item * LOCUSI_SIFT_ROWS, n = s->b->count;
    const size_t rows = s->count - first < LOCUSI_SIFT_ROWS ? s->count - first : LOCUSI_SIFT_ROWS;
    size_t at, r, j, lane;
    for (r = 0; r < rows; r++) {
        locusi_take_rows(&s->space, s->a, s->list ? s->list[first + r] : first + r, 1, w->rows + r * s->space.dim);
        w->farthest[r] = FLT_MAX;
        w->found[r] = 0;
    }
    for (at = 0; at < n; at += LOCUSI_TILE_COLUMNS) {
        const size_t columns = locusi_pad(n - at < LOCUSI_TILE_COLUMNS ? n - at : LOCUSI_TILE_COLUMNS);
        const size_t tile = at / LOCUSI_TILE_COLUMNS;
        locusi_space_product(&s->space, w->rows, rows, s->b, at, columns, s->bias + at, w->c, LOCUSI_SIFT_LD);
        for (r = 0; r < rows; r++) {
            const size_t i = s->list ? s->list[first + r] : first + r;
            const float *c = w->c + r * LOCUSI_SIFT_LD;
            float limit = locusi_sift_limit(s, i, w->farthest[r], tile);
            for (j = 0; (j = s->space.k->find(c, j, columns, limit)) < columns; j += 16)
                for (lane = j; lane < j + 16; lane++) {
                    float farthest;
                    if (c[lane] > limit) continue;
                    farthest = s->offer(s, i, at + lane, &w->found[r], w->farthest[r]);
                    if (farthest >= w->farthest[r]) continue;
                    w->farthest[r] = farthest;
                    limit = locusi_sift_limit(s, i, farthest, tile);
                }
        }
    }
    for (r = 0; r < rows; r++) s->finish(s, s->list ? s->list[first + r] : first + r, w->found[r]);
}

LOCUSI_FN size_t locusi_sift_items(size_t rows) { return (rows + LOCUSI_SIFT_ROWS - 1) / LOCUSI_SIFT_ROWS; }

typedef struct locusi_nearest {
    locus_neighbour *out;
    size_t k;
} locusi_nearest;

LOCUSI_FN int locusi_neighbour_order(const void *a, const void *b)
{
    const locus_neighbour *x = (const locus_neighbour *)a, *y = (const locus_neighbour *)b;
    if (x->distance < y->distance || y->distance < x->distance) return x->distance < y->distance ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

// The k nearest so far are a heap, the farthest on top.
LOCUSI_FN float locusi_neighbour_offer(const locusi_sift *s, size_t i, size_t j, size_t *found, float farthest)
{
    const locusi_nearest *job = (const locusi_nearest *)s->user;
    locus_neighbour *heap = job->out + i * job->k, it;
    size_t at, child;
    if (s->a == s->b && i == j) return farthest;
    it.index = j;
    it.distance = locusi_apart(&s->space, s->a, i, s->b, j);
    if (*found < job->k) {
        for (at = (*found)++; at > 0 && locusi_neighbour_order(&it, &heap[(at - 1) / 2]) > 0; at = (at - 1) / 2)
            heap[at] = heap[(at - 1) / 2];
    } else {
        if (locusi_neighbour_order(&it, &heap[0]) >= 0) return farthest;
        for (at = 0; (child = 2 * at + 1) < job->k; at = child) {
            if (child + 1 < job->k && locusi_neighbour_order(&heap[child], &heap[child + 1]) < 0) child++;
            if (locusi_neighbour_order(&it, &heap[child]) >= 0) break;
            heap[at] = heap[child];
        }
    }
    heap[at] = it;
    if (*found < job->k) return farthest;
    return heap[0].distance > 0.0f ? heap[0].distance : -1.0f; // of equals the first is kept, and j ascends
}

LOCUSI_FN void locusi_neighbour_finish(const locusi_sift *s, size_t i, size_t found)
{
    const locusi_nearest *job = (const locusi_nearest *)s->user;
    locus_neighbour *list = job->out + i * job->k;
    locusi_sort(list, found, sizeof *list, locusi_neighbour_order);
    for (; found < job->k; found++) {
        list[found].index = SIZE_MAX;
        list[found].distance = FLT_MAX;
    }
}

LOCUS_API size_t locus_neighbours_workspace(const locus_points *points, const locus_points *of, size_t k,
                                            const locus_explore_opts *opts)
{
    locus_explore_opts zero;
    locusi_sift s;
    locusi_carver c = {NULL, 0, 0};
    (void)k;
    if (!points) return 0;
    locusi_sift_plan(&s, of, points, locusi_explore_defaults(opts, &zero), &c);
    return locusi_carved(&c);
}

LOCUS_API locus_status locus_neighbours(const locus_points *points, const locus_points *of, size_t k,
                                        locus_neighbour *out, const locus_explore_opts *opts, void *work,
                                        size_t work_bytes, locus_error *err)
{
    locus_explore_opts zero;
    const locus_explore_opts *o = locusi_explore_defaults(opts, &zero);
    const int chances = o->metric == LOCUS_DISAGREEMENT;
    locusi_sift s;
    locusi_nearest job;
    locusi_carver c = {NULL, 0, 0};
    locus_status status;
    size_t rows, cells;
    if ((status = locusi_check_metric(o, err)) || (status = locusi_check_points(points, "points", chances, err)) ||
        (of && (status = locusi_check_points(of, "of", chances, err))))
        return status;
    rows = of ? of->count : points->count;
    if (!rows || !k) return LOCUS_OK;
    if (of && points->count && of->dim != points->dim)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "of.dim", "%z, the points'", "%z", points->dim, of->dim);
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "an array", "NULL");
    if (!locusi_mul(rows, k, &cells) || cells > SIZE_MAX / sizeof(locus_neighbour))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "k", "a list that fits into memory", "%z x %z", rows, k);
    if ((status = locusi_check_work(work, work_bytes, locus_neighbours_workspace(points, of, k, o), err)))
        return status;
    c.base = locusi_align(work);
    locusi_sift_plan(&s, of, points, o, &c);
    if ((status = locusi_sift_prepare(&s, o, err))) return status;
    job.out = out;
    job.k = k;
    s.user = &job;
    s.offer = locusi_neighbour_offer;
    s.finish = locusi_neighbour_finish;
    if ((status = locusi_sweep_run(locusi_sift_item, &s, locusi_sift_items(rows), 0, locusi_sift_items(rows), o, err)))
        return status;
    locusi_sweep_end(o, locusi_sift_items(rows));
    return LOCUS_OK;
}

// -------------------------------------------------------------------------------------------------------- >>clusters
//
// Average and complete: a chain of nearest neighbours is followed until two clusters are each other's nearest; they are
// merged, and the chain goes on from what is left of it. Ward: the same over the clusters' means.
//
// Single linkage is the minimum spanning tree, and that Boruvka's: the shortest edge that leaves a component belongs to
// it. Each row keeps a short list of the nearest other components. While a list has a member outside the row's own
// component, its first such is the row's nearest; when all have been joined, its last is a bound. Components whose
// shortest edge is below all such bounds are joined; when none is left, the rows that may still matter are searched
// anew, as neighbours are, but for those of one component, the one with most of them: the others will come to it.

// ---- the chain

typedef struct locusi_chain {
    size_t n;
    locus_linkage linkage;
    float *half;  // [n (n - 1) / 2] distances: row i's from 0 .. i-1
    double *mean; // Ward: [n, dim]
    size_t dim;
    uint32_t *size, *alive,
        *stack; // [n] of each cluster, which stands in one of its rows' places; those that there are
    size_t living;
} locusi_chain;

LOCUSI_FN float *locusi_half_at(const locusi_chain *c, size_t i, size_t j)
{
    return i > j ? &c->half[i * (i - 1) / 2 + j] : &c->half[j * (j - 1) / 2 + i];
}

// Ward's distance; anything larger, if it is larger than `most`.
LOCUSI_FN double locusi_ward(const locusi_chain *c, size_t i, size_t j, double most)
{
    const double *a = c->mean + i * c->dim, *b = c->mean + j * c->dim;
    const double m = (double)c->size[i], n = (double)c->size[j], weight = 2.0 * m * n / (m + n);
    const double stop = most * most / weight * 1.000001;
    double sum = 0.0, part[4];
    size_t k = 0, end;
    while (k < c->dim && sum <= stop) {
        end = c->dim - k < 16 ? c->dim : k + 16;
        part[0] = part[1] = part[2] = part[3] = 0.0;
        for (; k + 4 <= end; k += 4) {
            part[0] += (a[k] - b[k]) * (a[k] - b[k]);
            part[1] += (a[k + 1] - b[k + 1]) * (a[k + 1] - b[k + 1]);
            part[2] += (a[k + 2] - b[k + 2]) * (a[k + 2] - b[k + 2]);
            part[3] += (a[k + 3] - b[k + 3]) * (a[k + 3] - b[k + 3]);
        }
        for (; k < end; k++) part[0] += (a[k] - b[k]) * (a[k] - b[k]);
        sum += (part[0] + part[1]) + (part[2] + part[3]);
    }
    return sqrt(weight * sum);
}

// The nearest living cluster of i and its distance; of equals first `prefer` (if it is below n), then the lowest place.
LOCUSI_FN size_t locusi_chain_nearest(const locusi_chain *c, size_t i, size_t prefer, double *distance)
{
    size_t best = prefer, at;
    double least = DBL_MAX;
    if (prefer < c->n) least = c->mean ? locusi_ward(c, i, prefer, DBL_MAX) : (double)*locusi_half_at(c, i, prefer);
    for (at = 0; at < c->living; at++) {
        const size_t j = c->alive[at];
        double d;
        if (j == i) continue;
        d = c->mean ? locusi_ward(c, i, j, least) : (double)*locusi_half_at(c, i, j);
        if (d < least || best >= c->n) {
            least = d;
            best = j;
        }
    }
    *distance = least;
    return best;
}

// b takes a in.
LOCUSI_FN void locusi_chain_merge(locusi_chain *c, size_t a, size_t b)
{
    const double m = (double)c->size[a], n = (double)c->size[b];
    size_t at, k, to = 0;
    for (at = 0; at < c->living; at++)
        if (c->alive[at] != a) c->alive[to++] = c->alive[at];
    c->living = to;
    for (k = 0; c->mean && k < c->dim; k++) {
        double *x = c->mean + b * c->dim + k;
        *x = (m * c->mean[a * c->dim + k] + n * *x) / (m + n);
    }
    for (at = 0; !c->mean && at < c->living; at++) {
        const size_t j = c->alive[at];
        const float *from;
        float *x;
        if (j == b) continue;
        from = locusi_half_at(c, a, j);
        x = locusi_half_at(c, b, j);
        if (c->linkage == LOCUS_AVERAGE) *x = (float)((m * (double)*from + n * (double)*x) / (m + n));
        else *x = *from > *x ? *from : *x;
    }
    c->size[b] += c->size[a];
}

LOCUSI_FN locus_status locusi_chain_run(locusi_chain *c, locus_merge *merges, size_t done, size_t total,
                                        const locus_explore_opts *o, locus_error *err)
{
    size_t i, depth = 0, merged = 0;
    for (i = 0; i < c->n; i++) {
        c->size[i] = 1;
        c->alive[i] = (uint32_t)i;
    }
    c->living = c->n;
    while (merged + 1 < c->n) {
        size_t top, next;
        double distance;
        if (!depth) c->stack[depth++] = c->alive[0];
        top = c->stack[depth - 1];
        next = locusi_chain_nearest(c, top, depth > 1 ? c->stack[depth - 2] : SIZE_MAX, &distance);
        if (depth < 2 || next != c->stack[depth - 2]) {
            c->stack[depth++] = (uint32_t)next;
            continue;
        }
        depth -= 2;
        merges[merged].a = top < next ? top : next;
        merges[merged].b = top < next ? next : top;
        merges[merged].height = distance;
        merges[merged].size = merged; // for now: at equal heights their order
        locusi_chain_merge(c, merges[merged].a, merges[merged].b);
        merged++;
        if (o->progress && merged % 256 == 0 && o->progress(o->user, done + merged, total))
            return locusi_fail(err, LOCUS_ERR_CANCELLED, "progress", "", "");
    }
    return LOCUS_OK;
}

// ---- the spanning tree

#define LOCUSI_SPAN_LIST ((size_t)8)

typedef struct locusi_span {
    uint32_t *parent, *component;  // [n] of the union-find; each row's root
    uint32_t *near_row;            // [n, SPAN_LIST] of each row the nearest rows of other components, one each
    float *near;                   // [n, SPAN_LIST] their distances, ascending
    unsigned char *found, *passed; // [n] how many; how many of them have been joined
    float *best, *bound;   // [n] of the component in this place: its shortest edge so far; no unknown is shorter
    uint32_t *from, *to;   // [n] that edge
    uint32_t *need, *list; // [n] rows of a component that may still matter; all such rows
} locusi_span;

LOCUSI_FN void locusi_span_carve(locusi_span *s, size_t n, locusi_carver *c)
{
    s->parent = (uint32_t *)locusi_carve(c, n, sizeof(uint32_t));
    s->component = (uint32_t *)locusi_carve(c, n, sizeof(uint32_t));
    s->near_row = (uint32_t *)locusi_carve(c, n, LOCUSI_SPAN_LIST * sizeof(uint32_t));
    s->near = locusi_carve_floats(c, n, LOCUSI_SPAN_LIST);
    s->found = (unsigned char *)locusi_carve(c, n, 1);
    s->passed = (unsigned char *)locusi_carve(c, n, 1);
    s->best = locusi_carve_floats(c, n, 1);
    s->bound = locusi_carve_floats(c, n, 1);
    s->from = (uint32_t *)locusi_carve(c, n, sizeof(uint32_t));
    s->to = (uint32_t *)locusi_carve(c, n, sizeof(uint32_t));
    s->need = (uint32_t *)locusi_carve(c, n, sizeof(uint32_t));
    s->list = (uint32_t *)locusi_carve(c, n, sizeof(uint32_t));
}

LOCUSI_FN uint32_t locusi_root(uint32_t *parent, uint32_t i)
{
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

LOCUSI_FN float locusi_span_offer(const locusi_sift *sift, size_t i, size_t j, size_t *found, float farthest)
{
    const locusi_span *s = (const locusi_span *)sift->user;
    uint32_t *row = s->near_row + i * LOCUSI_SPAN_LIST;
    float *near = s->near + i * LOCUSI_SPAN_LIST, d;
    size_t at;
    if (s->component[i] == s->component[j]) return farthest;
    d = locusi_apart(&sift->space, sift->a, i, sift->b, j);
    for (at = 0; at < *found && s->component[row[at]] != s->component[j]; at++) {}
    if (at < *found) { // a component has one place
        if (d >= near[at]) return farthest;
    } else if (*found < LOCUSI_SPAN_LIST) {
        at = (*found)++;
    } else {
        at = LOCUSI_SPAN_LIST - 1;
        if (d >= near[at]) return farthest;
    }
    for (; at > 0 && d < near[at - 1]; at--) {
        near[at] = near[at - 1];
        row[at] = row[at - 1];
    }
    near[at] = d;
    row[at] = (uint32_t)j;
    if (*found < LOCUSI_SPAN_LIST) return farthest;
    return near[LOCUSI_SPAN_LIST - 1] > 0.0f ? near[LOCUSI_SPAN_LIST - 1] : -1.0f;
}

LOCUSI_FN void locusi_span_finish(const locusi_sift *sift, size_t i, size_t found)
{
    const locusi_span *s = (const locusi_span *)sift->user;
    s->found[i] = (unsigned char)found;
    s->passed[i] = 0;
}

// Join what is certain; returns how many merges there are now.
LOCUSI_FN size_t locusi_span_join(locusi_span *s, size_t n, locus_merge *merges, size_t merged)
{
    size_t i, c;
    for (i = 0; i < n; i++) {
        s->component[i] = locusi_root(s->parent, (uint32_t)i);
        s->best[i] = s->bound[i] = FLT_MAX;
    }
    for (i = 0; i < n; i++) {
        const uint32_t *row = s->near_row + i * LOCUSI_SPAN_LIST;
        const float *near = s->near + i * LOCUSI_SPAN_LIST;
        c = s->component[i];
        while (s->passed[i] < s->found[i] && s->component[row[s->passed[i]]] == c) s->passed[i]++;
        if (s->passed[i] < s->found[i]) {
            if (near[s->passed[i]] >= s->best[c]) continue;
            s->best[c] = near[s->passed[i]];
            s->from[c] = (uint32_t)i;
            s->to[c] = row[s->passed[i]];
        } else if (s->found[i] == LOCUSI_SPAN_LIST && near[LOCUSI_SPAN_LIST - 1] < s->bound[c]) {
            s->bound[c] = near[LOCUSI_SPAN_LIST - 1];
        }
    }
    for (c = 0; c < n; c++) {
        uint32_t a, b;
        if (s->component[c] != c || !(s->best[c] < FLT_MAX) || s->best[c] > s->bound[c]) continue;
        a = locusi_root(s->parent, s->from[c]);
        b = locusi_root(s->parent, s->to[c]);
        if (a == b) continue; // the other has joined it by an edge as short
        s->parent[a > b ? a : b] = a > b ? b : a;
        merges[merged].a = s->from[c] < s->to[c] ? s->from[c] : s->to[c];
        merges[merged].b = s->from[c] < s->to[c] ? s->to[c] : s->from[c];
        merges[merged].height = (double)s->best[c];
        merges[merged].size = 0;
        merged++;
    }
    return merged;
}

// The rows that may still matter, but for one component's; returns how many there are.
LOCUSI_FN size_t locusi_span_choose(locusi_span *s, size_t n)
{
    size_t i, most = 0, rows = 0;
    int pass;
    memset(s->need, 0, n * sizeof(uint32_t));
    for (pass = 0; pass < 2; pass++) {
        for (i = 0; i < n; i++) {
            const size_t c = s->component[i];
            if (s->passed[i] < s->found[i] || s->found[i] < LOCUSI_SPAN_LIST ||
                s->near[i * LOCUSI_SPAN_LIST + LOCUSI_SPAN_LIST - 1] >= s->best[c])
                continue;
            if (pass == 0) s->need[c]++;
            else if (c != most) s->list[rows++] = (uint32_t)i;
        }
        for (i = 0; pass == 0 && i < n; i++)
            if (s->need[i] > s->need[most]) most = i;
    }
    return rows;
}

LOCUSI_FN locus_status locusi_span_run(locusi_sift *sift, locusi_span *s, size_t n, locus_merge *merges,
                                       const locus_explore_opts *o, locus_error *err)
{
    locus_status status;
    size_t i, merged = 0, before;
    for (i = 0; i < n; i++) s->parent[i] = s->component[i] = (uint32_t)i;
    sift->user = s;
    sift->offer = locusi_span_offer;
    sift->finish = locusi_span_finish;
    while (sift->count) {
        const size_t items = locusi_sift_items(sift->count);
        if ((status = locusi_sweep_run(locusi_sift_item, sift, items, 0, items, o, err))) return status;
        do {
            before = merged;
            merged = locusi_span_join(s, n, merges, merged);
        } while (merged > before && merged + 1 < n);
        if (merged + 1 >= n) break;
        sift->count = locusi_span_choose(s, n);
        sift->list = s->list;
    }
    return LOCUS_OK;
}

// ---- the tree

LOCUSI_FN int locusi_merge_order(const void *a, const void *b)
{
    const locus_merge *x = (const locus_merge *)a, *y = (const locus_merge *)b;
    if (x->height < y->height || y->height < x->height) return x->height < y->height ? -1 : 1;
    if (x->size != y->size) return x->size < y->size ? -1 : 1;
    if (x->a != y->a) return x->a < y->a ? -1 : 1;
    return x->b < y->b ? -1 : x->b > y->b;
}

// Merges named by a row of each side, in any order -> by height, named by cluster. parent: [2 n]
LOCUSI_FN void locusi_merges_finish(locus_merge *merges, size_t n, uint32_t *parent)
{
    size_t i;
    locusi_sort(merges, n - 1, sizeof *merges, locusi_merge_order);
    for (i = 0; i < 2 * n; i++) parent[i] = (uint32_t)i;
    for (i = 0; i + 1 < n; i++) {
        const size_t a = locusi_root(parent, (uint32_t)merges[i].a), b = locusi_root(parent, (uint32_t)merges[i].b);
        parent[a] = parent[b] = (uint32_t)(n + i);
        merges[i].a = a < b ? a : b;
        merges[i].b = a < b ? b : a;
        merges[i].size = (a < n ? 1 : merges[a - n].size) + (b < n ? 1 : merges[b - n].size);
    }
}

typedef struct locusi_cluster_job {
    locusi_distances_job distances;
    locusi_chain chain;
    locusi_sift sift;
    locusi_span span;
    uint32_t *parent;
} locusi_cluster_job;

LOCUSI_FN void locusi_cluster_plan(locusi_cluster_job *job, const locus_points *p, locus_linkage linkage,
                                   const locus_explore_opts *o, locusi_carver *c)
{
    const size_t n = p->count;
    size_t pairs = 0;
    memset(job, 0, sizeof *job);
    if (n > UINT32_MAX / 4) c->failed = 1;
    if (c->failed) return;
    job->parent = (uint32_t *)locusi_carve(c, 2 * n, sizeof(uint32_t));
    if (linkage == LOCUS_SINGLE) {
        locusi_sift_plan(&job->sift, NULL, p, o, c);
        locusi_span_carve(&job->span, n, c);
        return;
    }
    job->chain.n = n;
    job->chain.linkage = linkage;
    job->chain.dim = p->dim;
    job->chain.size = (uint32_t *)locusi_carve(c, n, sizeof(uint32_t));
    job->chain.alive = (uint32_t *)locusi_carve(c, n, sizeof(uint32_t));
    job->chain.stack = (uint32_t *)locusi_carve(c, n, sizeof(uint32_t));
    if (linkage == LOCUS_WARD) {
        if (!locusi_mul(n, p->dim, &pairs)) c->failed = 1;
        job->chain.mean = (double *)locusi_carve(c, pairs, sizeof(double));
        return;
    }
    if (!locusi_mul(n, n ? n - 1 : 0, &pairs)) c->failed = 1;
    job->chain.half = locusi_carve_floats(c, pairs / 2, 1);
    locusi_distances_plan(&job->distances, p, NULL, o, c);
}

LOCUS_API size_t locus_cluster_workspace(const locus_points *points, locus_linkage linkage,
                                         const locus_explore_opts *opts)
{
    locus_explore_opts zero;
    locusi_cluster_job job;
    locusi_carver c = {NULL, 0, 0};
    if (!points) return 0;
    locusi_cluster_plan(&job, points, linkage, locusi_explore_defaults(opts, &zero), &c);
    return locusi_carved(&c);
}

LOCUS_API locus_status locus_cluster(const locus_points *points, locus_linkage linkage, locus_merge *merges,
                                     const locus_explore_opts *opts, void *work, size_t work_bytes, locus_error *err)
{
    locus_explore_opts zero, o = *locusi_explore_defaults(opts, &zero);
    locusi_cluster_job job;
    locusi_carver c = {NULL, 0, 0};
    locus_status status;
    size_t n, i, k, items = 0, total;
    o.available = NULL;
    if ((status = locusi_check_metric(&o, err)) ||
        (status = locusi_check_points(points, "points", o.metric == LOCUS_DISAGREEMENT, err)))
        return status;
    if (linkage != LOCUS_AVERAGE && linkage != LOCUS_COMPLETE && linkage != LOCUS_SINGLE && linkage != LOCUS_WARD)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "linkage", "one of locus_linkage", "%d", (int)linkage);
    if (linkage == LOCUS_WARD && o.metric != LOCUS_EUCLIDEAN)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "metric", "euclidean, for Ward's linkage", "%s",
                           locus_metric_name(o.metric));
    n = points->count;
    if (n < 2) return LOCUS_OK;
    if (!merges) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "merges", "an array", "NULL");
    if ((status = locusi_check_work(work, work_bytes, locus_cluster_workspace(points, linkage, &o), err)))
        return status;
    c.base = locusi_align(work);
    locusi_cluster_plan(&job, points, linkage, &o, &c);
    total = n;
    if (linkage == LOCUS_SINGLE) {
        if ((status = locusi_sift_prepare(&job.sift, &o, err)) ||
            (status = locusi_span_run(&job.sift, &job.span, n, merges, &o, err)))
            return status;
    } else {
        if (linkage != LOCUS_WARD) {
            items = (n + LOCUSI_TILE_ROWS - 1) / LOCUSI_TILE_ROWS;
            total = items + n;
            if ((status = locusi_distances_run(&job.distances, 1, job.chain.half, &o, total, err))) return status;
        }
        for (i = 0; job.chain.mean && i < n; i++)
            for (k = 0; k < points->dim; k++)
                job.chain.mean[i * points->dim + k] =
                    (double)points->rows[i * (points->stride ? points->stride : points->dim) + k];
        if ((status = locusi_chain_run(&job.chain, merges, items, total, &o, err))) return status;
    }
    locusi_merges_finish(merges, n, job.parent);
    locusi_sweep_end(&o, total);
    return LOCUS_OK;
}

// ---- what to make of a tree

// *out <- `count` sizes in the caller's memory, of whatever alignment.
LOCUSI_FN locus_status locusi_work_sizes(void *work, size_t work_bytes, size_t count, size_t **out, locus_error *err)
{
    const size_t skip = (sizeof(size_t) - (size_t)((uintptr_t)work % sizeof(size_t))) % sizeof(size_t);
    locus_status status;
    size_t bytes;
    if (!locusi_mul(count, sizeof(size_t), &bytes) || !locusi_add(bytes, skip, &bytes)) bytes = 0;
    status = locusi_check_work(work, work_bytes, bytes, err);
    *out = status ? NULL : (size_t *)(void *)((unsigned char *)work + skip);
    return status;
}

LOCUSI_FN locus_status locusi_bad_merge(size_t i, locus_error *err)
{
    return locusi_fail(err, LOCUS_ERR_ARGUMENT, "merges[%z]",
                       "a tree's: earlier clusters, each once; heights that never fall", "another", i);
}

LOCUS_API locus_status locus_cluster_cut(const locus_merge *merges, size_t n, size_t count, double height,
                                         size_t *label, size_t *clusters, void *work, size_t work_bytes,
                                         locus_error *err)
{
    size_t i, next = 0, *row;
    locus_status status;
    if (clusters) *clusters = 0;
    if (count > n) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "count", "at most %z, the rows", "%z", n, count);
    if (!count && locusi_is_nan((float)height))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "height", "a number", "NaN");
    if (!n) return LOCUS_OK;
    if (!label || (n > 1 && !merges))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "an array", "NULL", !label ? "label" : "merges");
    if ((status = locusi_work_sizes(work, work_bytes, n, &row, err))) return status;
    for (i = 0; i < n; i++) label[i] = i; // the next row on the way to the first of its cluster
    for (i = 0; i + 1 < n; i++) {         // row[i]: some row of cluster n + i
        size_t a = merges[i].a, b = merges[i].b;
        if (a >= b || b >= n + i || locusi_is_nan((float)merges[i].height) ||
            (i > 0 && merges[i].height < merges[i - 1].height))
            return locusi_bad_merge(i, err);
        row[i] = a = a < n ? a : row[a - n];
        b = b < n ? b : row[b - n];
        if (count ? i + count >= n : merges[i].height > height) continue;
        while (label[a] != a) a = label[a] = label[label[a]];
        while (label[b] != b) b = label[b] = label[label[b]];
        if (a == b) return locusi_bad_merge(i, err);
        label[a > b ? a : b] = a > b ? b : a;
    }
    for (i = 0; i < n; i++) { // a row points to an earlier one, which has its label by now
        if (label[i] == i) row[i] = next++;
        else row[i] = row[label[i]];
    }
    memcpy(label, row, n * sizeof(size_t));
    if (clusters) *clusters = next;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_cluster_order(const locus_merge *merges, size_t n, size_t *order, void *work,
                                           size_t work_bytes, locus_error *err)
{
    size_t i, side, *first, *size, *start;
    locus_status status;
    if (!n) return LOCUS_OK;
    if (!order || (n > 1 && !merges))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "an array", "NULL", !order ? "order" : "merges");
    if ((status = locusi_work_sizes(work, work_bytes, n > SIZE_MAX / 3 ? SIZE_MAX : 3 * n, &first, err))) return status;
    size = first + n; // of cluster n + i: its lowest row, its rows, where it starts
    start = size + n;
    for (i = 0; i < n; i++) {
        order[i] = SIZE_MAX; // as yet in no cluster
        start[i] = SIZE_MAX;
    }
    for (i = 0; i + 1 < n; i++) {
        if (merges[i].a >= merges[i].b || merges[i].b >= n + i || locusi_is_nan((float)merges[i].height) ||
            (i > 0 && merges[i].height < merges[i - 1].height))
            return locusi_bad_merge(i, err);
        first[i] = SIZE_MAX;
        size[i] = 0;
        for (side = 0; side < 2; side++) {
            const size_t c = side ? merges[i].b : merges[i].a, low = c < n ? c : first[c - n];
            size_t *used = c < n ? &order[c] : &start[c - n];
            if (*used != SIZE_MAX) return locusi_bad_merge(i, err);
            *used = 0;
            size[i] += c < n ? 1 : size[c - n];
            if (low < first[i]) first[i] = low;
        }
    }
    if (n == 1) order[0] = 0;
    for (i = n - 1; i-- > 0;) {
        size_t a = merges[i].a, b = merges[i].b, at = i + 2 == n ? 0 : start[i];
        const double ha = a < n ? -1.0 : merges[a - n].height, hb = b < n ? -1.0 : merges[b - n].height;
        if (ha > hb || (!(ha < hb) && (a < n ? a : first[a - n]) > (b < n ? b : first[b - n]))) {
            const size_t swap = a;
            a = b;
            b = swap;
        }
        for (side = 0; side < 2; side++) {
            const size_t c = side ? b : a;
            if (c < n) order[at] = c;
            else start[c - n] = at;
            at += c < n ? 1 : size[c - n];
        }
    }
    return LOCUS_OK;
}

// ---- medoids

typedef struct locusi_matrix { // all distances, each row's from itself being 0
    locusi_distances_job job;
    float *d; // [n, n]
} locusi_matrix;

LOCUSI_FN void locusi_matrix_plan(locusi_matrix *m, const locus_points *p, const locus_explore_opts *o,
                                  locusi_carver *c)
{
    memset(m, 0, sizeof *m);
    m->d = locusi_carve_floats(c, p->count, p->count);
    locusi_distances_plan(&m->job, p, NULL, o, c);
}

LOCUSI_FN locus_status locusi_matrix_run(locusi_matrix *m, const locus_explore_opts *o, size_t total, locus_error *err)
{
    const locus_status status = locusi_distances_run(&m->job, 0, m->d, o, total, err);
    const size_t n = m->job.right.count;
    size_t i;
    for (i = 0; !status && i < n; i++) m->d[i * n + i] = 0.0f;
    return status;
}

LOCUSI_FN locus_status locusi_check_picks(const locus_points *p, size_t k, const size_t *picks,
                                          const locus_explore_opts *o, locus_error *err)
{
    size_t i, candidates = 0;
    for (i = 0; i < p->count; i++) candidates += !o->available || o->available[i];
    if (k > candidates)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "k", "at most %z, the available rows", "%z", candidates, k);
    if (k && !picks) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "picks", "an array", "NULL");
    return LOCUS_OK;
}

typedef struct locusi_medoids_job {
    locusi_matrix matrix;
    const unsigned char *available;
    size_t n, k, *picks;
    size_t *place;         // [n] in picks, of the nearest medoid
    float *near, *next;    // [n] distances of the nearest and the second nearest; FLT_MAX: there is none
    double *loss, *change; // [k] what it costs to take a medoid away; the same if a row comes instead
    unsigned char *picked; // [n]
} locusi_medoids_job;

LOCUSI_FN void locusi_medoids_plan(locusi_medoids_job *job, const locus_points *p, size_t k,
                                   const locus_explore_opts *o, locusi_carver *c)
{
    memset(job, 0, sizeof *job);
    locusi_matrix_plan(&job->matrix, p, o, c);
    job->available = o->available;
    job->n = p->count;
    job->k = k;
    job->place = (size_t *)locusi_carve(c, p->count, sizeof(size_t));
    job->near = locusi_carve_floats(c, p->count, 1);
    job->next = locusi_carve_floats(c, p->count, 1);
    job->loss = (double *)locusi_carve(c, k, sizeof(double));
    job->change = (double *)locusi_carve(c, k, sizeof(double));
    job->picked = (unsigned char *)locusi_carve(c, p->count, 1);
}

// Each row's two nearest of the first k medoids, and what each of these is worth; returns the sum of distances.
LOCUSI_FN double locusi_medoids_assign(locusi_medoids_job *job, size_t k)
{
    double sum = 0.0;
    size_t i, m;
    for (m = 0; m < k; m++) job->loss[m] = 0.0;
    for (i = 0; i < job->n; i++) {
        const float *d = job->matrix.d + i * job->n;
        float near = FLT_MAX, next = FLT_MAX;
        size_t place = 0;
        for (m = 0; m < k; m++) {
            const float x = d[job->picks[m]];
            if (x < near) next = near, near = x, place = m;
            else if (x < next) next = x;
        }
        job->place[i] = place;
        job->near[i] = near;
        job->next[i] = next;
        sum += (double)near;
        job->loss[place] += (double)next - (double)near;
    }
    return sum;
}

// The greedy start: always the row that takes most off the sum.
LOCUSI_FN void locusi_medoids_build(locusi_medoids_job *job)
{
    size_t m, i, x;
    for (m = 0; m < job->k; m++) {
        double least = DBL_MAX;
        job->picks[m] = SIZE_MAX;
        for (x = 0; x < job->n; x++) {
            const float *d = job->matrix.d + x * job->n;
            double sum = 0.0;
            if (job->picked[x] || (job->available && !job->available[x])) continue;
            for (i = 0; i < job->n; i++) {
                sum += (double)(m && job->near[i] < d[i] ? job->near[i] : d[i]);
            }
            if (sum < least || job->picks[m] == SIZE_MAX) {
                least = sum;
                job->picks[m] = x;
            }
        }
        job->picked[job->picks[m]] = 1;
        (void)locusi_medoids_assign(job, m + 1);
    }
}

// The best medoid to give up for row x; *gain <- what that takes off the sum, if positive.
LOCUSI_FN size_t locusi_medoids_try(locusi_medoids_job *job, size_t x, double *gain)
{
    const float *d = job->matrix.d + x * job->n;
    double all = 0.0;
    size_t i, m, best = 0;
    memcpy(job->change, job->loss, job->k * sizeof(double));
    for (i = 0; i < job->n; i++) {
        if (d[i] < job->near[i]) {
            all += (double)d[i] - (double)job->near[i];
            job->change[job->place[i]] += (double)job->near[i] - (double)job->next[i];
        } else if (d[i] < job->next[i]) {
            job->change[job->place[i]] += (double)d[i] - (double)job->next[i];
        }
    }
    for (m = 1; m < job->k; m++)
        if (job->change[m] < job->change[best]) best = m;
    *gain = -(job->change[best] + all);
    return best;
}

LOCUSI_FN int locusi_size_order(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

LOCUS_API size_t locus_medoids_workspace(const locus_points *points, size_t k, const locus_explore_opts *opts)
{
    locus_explore_opts zero;
    locusi_medoids_job job;
    locusi_carver c = {NULL, 0, 0};
    if (!points) return 0;
    locusi_medoids_plan(&job, points, k, locusi_explore_defaults(opts, &zero), &c);
    return locusi_carved(&c);
}

LOCUS_API locus_status locus_medoids(const locus_points *points, size_t k, size_t *picks, size_t *label,
                                     double *mean_distance, const locus_explore_opts *opts, void *work,
                                     size_t work_bytes, locus_error *err)
{
    locus_explore_opts zero;
    const locus_explore_opts *o = locusi_explore_defaults(opts, &zero);
    locusi_medoids_job job;
    locusi_carver c = {NULL, 0, 0};
    locus_status status;
    size_t n, items, total, x, idle;
    double sum;
    if (mean_distance) *mean_distance = 0.0;
    if ((status = locusi_check_metric(o, err)) ||
        (status = locusi_check_points(points, "points", o->metric == LOCUS_DISAGREEMENT, err)) ||
        (status = locusi_check_picks(points, k, picks, o, err)))
        return status;
    n = points->count;
    if (!n) return LOCUS_OK;
    if (!k) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "k", "at least 1", "0");
    if ((status = locusi_check_work(work, work_bytes, locus_medoids_workspace(points, k, o), err))) return status;
    c.base = locusi_align(work);
    locusi_medoids_plan(&job, points, k, o, &c);
    job.picks = picks;
    items = (n + LOCUSI_TILE_ROWS - 1) / LOCUSI_TILE_ROWS;
    total = items + n;
    if ((status = locusi_matrix_run(&job.matrix, o, total, err))) return status;
    memset(job.picked, 0, n);
    locusi_medoids_build(&job);
    sum = locusi_medoids_assign(&job, k);
    // Rows in turn, each swapped in at once if that helps, until none of a whole round has.
    for (x = 0, idle = 0; k > 1 && idle < n; x = (x + 1) % n, idle++) {
        double gain;
        size_t m;
        if (o->progress && idle % 64 == 0 && o->progress(o->user, items + idle, total))
            return locusi_fail(err, LOCUS_ERR_CANCELLED, "progress", "", "");
        if (job.picked[x] || (o->available && !o->available[x])) continue;
        m = locusi_medoids_try(&job, x, &gain);
        if (!(gain > 1e-9 * sum)) continue;
        job.picked[picks[m]] = 0;
        job.picked[x] = 1;
        picks[m] = x;
        sum = locusi_medoids_assign(&job, k);
        idle = SIZE_MAX; // 0 in a moment
    }
    locusi_sort(picks, k, sizeof *picks, locusi_size_order);
    sum = locusi_medoids_assign(&job, k);
    if (label) memcpy(label, job.place, n * sizeof(size_t));
    if (mean_distance) *mean_distance = sum / (double)n;
    locusi_sweep_end(o, total);
    return LOCUS_OK;
}

// ------------------------------------------------------------------------------------------------------- >>portfolio

// ---- by geometry alone

typedef struct locusi_centers_job {
    locusi_space space;
    locusi_side side;
    const unsigned char *available;
    float *near;        // [n] distance to the nearest pick; of a pick 0
    double *sum;        // [n] of distances, for the 1-medoid
    float *row;         // [dim] the pick
    float **c;          // [workers] [CENTERS_TILE]
    size_t *far;        // [tiles] the farthest available row of each that is no pick; SIZE_MAX: none
    float *radius;      // [tiles] largest distance of any row of it
    unsigned char *is;  // [n] 1: a pick
    size_t pick, picks; // the last; how many
} locusi_centers_job;

#define LOCUSI_CENTERS_TILE ((size_t)2048)
#define LOCUSI_MEDOID_ROWS ((size_t)4096) // up to so many rows the 1-medoid is looked for among all pairs

LOCUSI_FN void locusi_centers_plan(locusi_centers_job *job, const locus_points *p, const locus_explore_opts *o,
                                   locusi_carver *c)
{
    const size_t workers = locusi_explore_workers(o->parallel), tiles = p->count / LOCUSI_CENTERS_TILE + 1;
    size_t i;
    memset(job, 0, sizeof *job);
    job->space.metric = o->metric;
    job->space.dim = p->dim;
    job->space.mean = (double *)locusi_carve(c, p->dim, sizeof(double));
    locusi_side_carve(&job->side, p, 1, c);
    job->available = o->available;
    job->near = locusi_carve_floats(c, p->count, 1);
    job->sum = (double *)locusi_carve(c, p->count, sizeof(double));
    job->row = locusi_carve_floats(c, workers, p->dim);
    job->c = (float **)locusi_carve(c, workers, sizeof(float *));
    job->far = (size_t *)locusi_carve(c, tiles, sizeof(size_t));
    job->radius = locusi_carve_floats(c, tiles, 1);
    job->is = (unsigned char *)locusi_carve(c, p->count, 1);
    for (i = 0; i < workers; i++) {
        float *tile = locusi_carve_floats(c, LOCUSI_CENTERS_TILE, 1);
        if (c->base) job->c[i] = tile;
    }
}

// The distances of a tile's rows from the last pick, and which is the farthest now.
LOCUSI_FN void locusi_centers_item(void *arg, size_t worker, size_t item)
{
    locusi_centers_job *job = (locusi_centers_job *)arg;
    const size_t first = item * LOCUSI_CENTERS_TILE, n = job->side.count;
    const size_t rows = n - first < LOCUSI_CENTERS_TILE ? n - first : LOCUSI_CENTERS_TILE;
    float *c = job->c[worker], radius = 0.0f;
    size_t i, far = SIZE_MAX;
    locusi_space_product(&job->space, job->row, 1, &job->side, first, locusi_pad(rows), NULL, c, LOCUSI_CENTERS_TILE);
    for (i = first; i < first + rows; i++) {
        const float d =
            job->is[i] ? 0.0f : locusi_distance(&job->space, &job->side, job->pick, &job->side, i, c[i - first]);
        if (job->picks == 1 || d < job->near[i]) job->near[i] = d;
        if (job->near[i] > radius) radius = job->near[i];
        if (job->is[i] || (job->available && !job->available[i])) continue;
        if (far == SIZE_MAX || job->near[i] > job->near[far]) far = i;
    }
    job->far[item] = far;
    job->radius[item] = radius;
}

// One row's sum of distances from all others.
LOCUSI_FN void locusi_medoid_item(void *arg, size_t worker, size_t i)
{
    locusi_centers_job *job = (locusi_centers_job *)arg;
    const size_t n = job->side.count;
    float *c = job->c[worker], *row = job->row + worker * job->space.dim;
    double sum = 0.0;
    size_t at, j;
    locusi_take_rows(&job->space, &job->side, i, 1, row);
    for (at = 0; at < n; at += LOCUSI_CENTERS_TILE) {
        const size_t end = n - at < LOCUSI_CENTERS_TILE ? n : at + LOCUSI_CENTERS_TILE;
        locusi_space_product(&job->space, row, 1, &job->side, at, locusi_pad(end - at), NULL, c, LOCUSI_CENTERS_TILE);
        for (j = at; j < end; j++)
            if (j != i) sum += (double)locusi_distance(&job->space, &job->side, i, &job->side, j, c[j - at]);
    }
    job->sum[i] = sum;
}

// Many rows: how far each is from their mean.
LOCUSI_FN void locusi_medoid_by_mean(locusi_centers_job *job)
{
    const locusi_space *s = &job->space;
    const size_t n = job->side.count;
    size_t i, j;
    if (s->metric == LOCUS_EUCLIDEAN) { // the terms are half the squared distances from the mean
        for (i = 0; i < n; i++) job->sum[i] = (double)job->side.term[i];
        return;
    }
    memset(s->mean, 0, s->dim * sizeof(double));
    for (i = 0; i < n; i++)
        for (j = 0; j < s->dim; j++) s->mean[j] += (double)locusi_coordinate(s, &job->side, i, j);
    for (j = 0; j < s->dim; j++) s->mean[j] /= (double)n;
    for (i = 0; i < n; i++) {
        double sum = 0.0;
        for (j = 0; j < s->dim; j++) {
            const double x = (double)locusi_coordinate(s, &job->side, i, j);
            sum += s->metric == LOCUS_COSINE ? -x * s->mean[j] : x + s->mean[j] - 2.0 * x * s->mean[j];
        }
        job->sum[i] = sum;
    }
}

LOCUS_API size_t locus_centers_workspace(const locus_points *points, size_t k, const locus_explore_opts *opts)
{
    locus_explore_opts zero;
    locusi_centers_job job;
    locusi_carver c = {NULL, 0, 0};
    (void)k;
    if (!points) return 0;
    locusi_centers_plan(&job, points, locusi_explore_defaults(opts, &zero), &c);
    return locusi_carved(&c);
}

LOCUS_API locus_status locus_centers(const locus_points *points, size_t k, size_t *picks, float *radius,
                                     const locus_explore_opts *opts, void *work, size_t work_bytes, locus_error *err)
{
    locus_explore_opts zero, quiet;
    const locus_explore_opts *o = locusi_explore_defaults(opts, &zero);
    locusi_centers_job job;
    locusi_carver c = {NULL, 0, 0};
    locus_isa isa = o->isa;
    locus_status status;
    size_t n, tiles, items = 0, total, best = SIZE_MAX, i;
    if ((status = locusi_check_metric(o, err)) ||
        (status = locusi_check_points(points, "points", o->metric == LOCUS_DISAGREEMENT, err)) ||
        (status = locusi_check_picks(points, k, picks, o, err)))
        return status;
    if (!k) return LOCUS_OK;
    n = points->count;
    tiles = (n + LOCUSI_CENTERS_TILE - 1) / LOCUSI_CENTERS_TILE;
    if ((status = locusi_check_work(work, work_bytes, locus_centers_workspace(points, k, o), err)) ||
        (status = locusi_isa_choose(&isa, err)))
        return status;
    c.base = locusi_align(work);
    locusi_centers_plan(&job, points, o, &c);
    job.space.k = locusi_kernels_for(isa);
    locusi_space_prepare(&job.space, &job.side, &job.side);
    memset(job.is, 0, n);
    if (n <= LOCUSI_MEDOID_ROWS) items = n;
    total = items + k;
    if (!items) locusi_medoid_by_mean(&job);
    else if ((status = locusi_sweep_run(locusi_medoid_item, &job, items, 0, total, o, err))) return status;
    for (i = 0; i < n; i++)
        if ((!o->available || o->available[i]) && (best == SIZE_MAX || job.sum[i] < job.sum[best])) best = i;
    quiet = *o; // progress is told here, for each pick
    quiet.progress = NULL;
    for (job.picks = 1;; job.picks++) {
        float most = 0.0f;
        if (o->progress && o->progress(o->user, items + job.picks - 1, total))
            return locusi_fail(err, LOCUS_ERR_CANCELLED, "progress", "", "");
        picks[job.picks - 1] = job.pick = best;
        job.is[best] = 1;
        job.near[best] = 0.0f;
        locusi_take_rows(&job.space, &job.side, best, 1, job.row);
        if ((status = locusi_sweep_run(locusi_centers_item, &job, tiles, 0, 1, &quiet, err))) return status;
        for (i = 0, best = SIZE_MAX; i < tiles; i++) {
            if (job.radius[i] > most) most = job.radius[i];
            if (job.far[i] != SIZE_MAX && (best == SIZE_MAX || job.near[job.far[i]] > job.near[best]))
                best = job.far[i];
        }
        if (radius) radius[job.picks - 1] = most;
        if (job.picks == k) break;
    }
    locusi_sweep_end(o, total);
    return LOCUS_OK;
}

typedef struct locusi_coverage_job {
    locusi_matrix matrix;
    size_t n;
    float *near;           // [n] distance to the nearest pick
    double *gain;          // [n] how much nearer all rows come with this one; may be an older, larger figure
    unsigned char *closed; // [n] picked, or not to be
} locusi_coverage_job;

LOCUSI_FN void locusi_coverage_plan(locusi_coverage_job *job, const locus_points *p, const locus_explore_opts *o,
                                    locusi_carver *c)
{
    memset(job, 0, sizeof *job);
    locusi_matrix_plan(&job->matrix, p, o, c);
    job->n = p->count;
    job->near = locusi_carve_floats(c, p->count, 1);
    job->gain = (double *)locusi_carve(c, p->count, sizeof(double));
    job->closed = (unsigned char *)locusi_carve(c, p->count, 1);
}

LOCUSI_FN void locusi_coverage_item(void *arg, size_t worker, size_t item)
{
    locusi_coverage_job *job = (locusi_coverage_job *)arg;
    const float *d = job->matrix.d + item * job->n;
    double sum = 0.0;
    size_t j;
    (void)worker;
    for (j = 0; j < job->n; j++)
        if (d[j] < job->near[j]) sum += (double)job->near[j] - (double)d[j];
    job->gain[item] = sum;
}

LOCUS_API size_t locus_coverage_workspace(const locus_points *points, const locus_explore_opts *opts)
{
    locus_explore_opts zero;
    locusi_coverage_job job;
    locusi_carver c = {NULL, 0, 0};
    if (!points) return 0;
    locusi_coverage_plan(&job, points, locusi_explore_defaults(opts, &zero), &c);
    return locusi_carved(&c);
}

LOCUS_API locus_status locus_coverage(const locus_points *points, const float *cost, double budget, size_t *picks,
                                      size_t *count, const locus_explore_opts *opts, void *work, size_t work_bytes,
                                      locus_error *err)
{
    locus_explore_opts zero;
    const locus_explore_opts *o = locusi_explore_defaults(opts, &zero);
    locusi_coverage_job job;
    locusi_carver c = {NULL, 0, 0};
    locus_status status;
    size_t n, i, items, total;
    double left = budget;
    float most = 0.0f;
    if (count) *count = 0;
    if ((status = locusi_check_metric(o, err)) ||
        (status = locusi_check_points(points, "points", o->metric == LOCUS_DISAGREEMENT, err)))
        return status;
    n = points->count;
    if (!count || (n && (!cost || !picks)))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !count  ? "count"
                           : !cost ? "cost"
                                   : "picks");
    if (!locusi_within(budget, 0.0, DBL_MAX))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "budget", "finite and not negative", "%f", budget);
    for (i = 0; i < n; i++)
        if (!locusi_finite(cost[i]) || !(cost[i] > 0.0f))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "cost[%z]", "finite and positive", "%f", i, (double)cost[i]);
    if (!n) return LOCUS_OK;
    if ((status = locusi_check_work(work, work_bytes, locus_coverage_workspace(points, o), err))) return status;
    c.base = locusi_align(work);
    locusi_coverage_plan(&job, points, o, &c);
    items = (n + LOCUSI_TILE_ROWS - 1) / LOCUSI_TILE_ROWS;
    total = items + n;
    if ((status = locusi_matrix_run(&job.matrix, o, total, err))) return status;
    for (i = 0; i < n * n; i++)
        if (job.matrix.d[i] > most) most = job.matrix.d[i];
    for (i = 0; i < n; i++) {
        job.near[i] = most;
        job.closed[i] = o->available && !o->available[i];
    }
    if ((status = locusi_sweep_run(locusi_coverage_item, &job, n, items, total, o, err))) return status;
    // Gains only fall as rows are picked: the best by older figures is looked at anew until it stays the best.
    while (*count < n) {
        size_t best = SIZE_MAX, fresh = SIZE_MAX;
        for (;;) {
            for (i = 0, best = SIZE_MAX; i < n; i++)
                if (!job.closed[i] && (double)cost[i] <= left &&
                    (best == SIZE_MAX || job.gain[i] / (double)cost[i] > job.gain[best] / (double)cost[best]))
                    best = i;
            if (best == fresh) break; // also: there is none
            locusi_coverage_item(&job, 0, best);
            fresh = best;
        }
        if (best == SIZE_MAX || (*count && !(job.gain[best] > 0.0))) break;
        picks[(*count)++] = best;
        left -= (double)cost[best];
        job.closed[best] = 1;
        for (i = 0; i < n; i++)
            if (job.matrix.d[best * n + i] < job.near[i]) job.near[i] = job.matrix.d[best * n + i];
    }
    locusi_sweep_end(o, total);
    return LOCUS_OK;
}

// ---- by value: the set whose best is best
//
// The value of a set is the weighted mean over the queries of its highest p: monotone and submodular (a model's gain
// can only shrink as the set grows), so a gain that is out of date still bounds the true one. The sums are of integers:
// a query's part w p is rounded to a grid of 2^-50 of the summed weights (at worst 2^-51 off for each query), so that
// they are exact and the same for every instruction set, and no rounding breaks a tie or the order of two gains.
//
// The bound. For any levels t_q >= 0, no set O has a value above sum_q w_q t_q + sum_{m in O} sum_q w_q max(p_mq - t_q,
// 0); the largest such sum within the limits is easily bounded (the k largest gains; the knapsack filled by gain per
// cost, the last piece in part). With t = the best of any set, this is the bound by marginal gains of Nemhauser, Wolsey
// and Fisher; over all t it is the Lagrangian dual of the facility location problem (Cornuejols, Fisher, Nemhauser
// 1977), which a few subgradient steps from there come near to.

#define LOCUSI_SWAP_BATCH ((size_t)256)  // swaps looked at before the best so far is compared with what is left
#define LOCUSI_SWAP_LEAST 1e-12          // improvements up to this are none
#define LOCUSI_BOUND_STEPS ((size_t)300) // fewer where there is very much to read
#define LOCUSI_STALLED ((size_t)10)      // steps without a smaller bound: go on with half the length
#define LOCUSI_PROVEN 1e-10              // a bound as near as this to the value is as good as reached

typedef struct locusi_move { // a model comes in, another goes out; SIZE_MAX: none
    double better;           // by so much
    size_t in, out;          // out: place in the set
} locusi_move;

typedef struct locusi_portfolio_job {
    const locus_portfolio_opts *o;
    const locusi_kernels *k;
    const float *rows;
    size_t models, queries, stride, workers, tile;
    size_t limit, required; // models in a set; of them required
    double budget, fixed;   // DBL_MAX: none; cost of the required
    double unit, lambda;    // value of 1 in the integer sums
    // for each model
    int64_t *gain; // over the levels of the last look at it
    double *key;   // what the heap is ordered by
    size_t *heap, *round;
    unsigned char *in; // member of the set
    // for each query
    double *weight, *slope;
    float *floor, *best, *second, *level; // floor: the best of the required
    size_t *owner;                        // slot of the member with the highest p
    int64_t *first, *next;                // w p of the best and of the second best, as in the sums
    // for each member
    size_t *set, *other, *kept, *slot; // other: the best set so far; kept: the best that the bound came across
    int64_t *loss, *recover;           // recover: [workers][slots]
    size_t slots, count, other_count, kept_count;
    double spent, other_net, kept_net;
    // for each swap of a batch
    size_t batch[LOCUSI_SWAP_BATCH];
    locusi_move moves[LOCUSI_SWAP_BATCH];
    size_t batched;
    const float *against; // for the parallel parts
    const unsigned char *only;
    int64_t base;
    locusi_counter counter;
    int check, bad;
    size_t done, total;
} locusi_portfolio_job;

// Everything that lies in the workspace; 0 if the sizes overflow.
LOCUSI_FN void locusi_portfolio_plan(locusi_portfolio_job *j, const locus_points *profiles,
                                     const locus_portfolio_opts *o, locusi_carver *c)
{
    const size_t models = profiles->count, queries = locusi_pad(profiles->dim);
    size_t limit = o->count && o->count < models ? o->count : models;
    memset(j, 0, sizeof *j);
    j->o = o;
    j->rows = profiles->rows;
    j->models = models;
    j->queries = profiles->dim;
    j->stride = profiles->stride ? profiles->stride : profiles->dim;
    j->workers = locusi_workers(o->parallel);
    if (j->workers > 64) j->workers = 64;
    j->tile = 1 + 65536 / (profiles->dim + 1);
    j->limit = limit;
    j->slots = limit < profiles->dim ? limit : profiles->dim;
    if (queries < profiles->dim) c->failed = 1;
    j->gain = (int64_t *)locusi_carve(c, models, sizeof(int64_t));
    j->key = (double *)locusi_carve(c, models, sizeof(double));
    j->heap = (size_t *)locusi_carve(c, models, sizeof(size_t));
    j->round = (size_t *)locusi_carve(c, models, sizeof(size_t));
    j->in = (unsigned char *)locusi_carve(c, models, 1);
    j->weight = (double *)locusi_carve(c, queries, sizeof(double));
    j->slope = (double *)locusi_carve(c, queries, sizeof(double));
    j->floor = locusi_carve_floats(c, queries, 1);
    j->best = locusi_carve_floats(c, queries, 1);
    j->second = locusi_carve_floats(c, queries, 1);
    j->level = locusi_carve_floats(c, queries, 1);
    j->owner = (size_t *)locusi_carve(c, queries, sizeof(size_t));
    j->first = (int64_t *)locusi_carve(c, queries, sizeof(int64_t));
    j->next = (int64_t *)locusi_carve(c, queries, sizeof(int64_t));
    j->set = (size_t *)locusi_carve(c, limit, sizeof(size_t));
    j->other = (size_t *)locusi_carve(c, limit, sizeof(size_t));
    j->kept = (size_t *)locusi_carve(c, limit, sizeof(size_t));
    j->slot = (size_t *)locusi_carve(c, limit, sizeof(size_t));
    j->loss = (int64_t *)locusi_carve(c, limit, sizeof(int64_t));
    if (!locusi_mul(j->workers, j->slots, &limit)) c->failed = 1;
    j->recover = (int64_t *)locusi_carve(c, limit, sizeof(int64_t));
}

LOCUSI_FN const float *locusi_profile_row(const locusi_portfolio_job *j, size_t m) { return j->rows + m * j->stride; }

LOCUSI_FN double locusi_portfolio_price(const locusi_portfolio_job *j, size_t m)
{
    return j->o->cost ? (double)j->o->cost[m] : 0.0;
}

LOCUSI_FN int locusi_is_required(const locusi_portfolio_job *j, size_t m)
{
    return j->o->required && j->o->required[m];
}

// May it be picked at all?
LOCUSI_FN int locusi_eligible(const locusi_portfolio_job *j, size_t m)
{
    return (!j->o->available || j->o->available[m]) && !locusi_is_required(j, m) &&
           j->fixed + locusi_portfolio_price(j, m) <= j->budget;
}

LOCUSI_FN double locusi_net_gain(const locusi_portfolio_job *j, int64_t gain, size_t m)
{
    return (double)gain * j->unit - j->lambda * locusi_portfolio_price(j, m);
}

LOCUSI_FN int64_t locusi_covered(const locusi_portfolio_job *j, const float *p, const float *levels)
{
    return j->k->cover(p, levels, j->weight, j->queries);
}

LOCUSI_FN locus_status locusi_portfolio_step(locusi_portfolio_job *j, locus_error *err)
{
    const size_t done = j->done < j->total ? j->done++ : j->total;
    if (j->o->progress && j->o->progress(j->o->user, done, j->total))
        return locusi_fail(err, LOCUS_ERR_CANCELLED, "portfolio", "", "step %z of %z", done, j->total);
    return LOCUS_OK;
}

// ---- gains of all models at once

// 1 if every p is in [0, 1], told by its bits; -0 counts as 0.
LOCUSI_FN int locusi_chances(const float *p, size_t n)
{
    uint32_t bad = 0;
    size_t i;
    for (i = 0; i < n; i++) {
        const uint32_t bits = locusi_f32_bits(p[i]);
        bad |= (uint32_t)(bits > 0x3f800000u) & (uint32_t)(bits != 0x80000000u);
    }
    return !bad;
}

LOCUSI_FN void locusi_gains_work(void *arg, size_t worker)
{
    locusi_portfolio_job *j = (locusi_portfolio_job *)arg;
    size_t mine = 0, item, m;
    while ((item = locusi_next(&j->counter, worker, &mine)) < (j->models + j->tile - 1) / j->tile) {
        const size_t end = j->models - item * j->tile < j->tile ? j->models : (item + 1) * j->tile;
        for (m = item * j->tile; m < end; m++) {
            const float *p = locusi_profile_row(j, m);
            if (j->check && !locusi_chances(p, j->queries)) locusi_set_flag(&j->bad);
            else if (locusi_eligible(j, m) && (!j->only || j->only[m]))
                j->gain[m] = locusi_covered(j, p, j->against) - j->base;
        }
    }
}

// gain[m] <- what each eligible model (NULL: all of `only`) adds to these levels, whose own sum is j->base.
LOCUSI_FN void locusi_gains(locusi_portfolio_job *j, const float *levels, const unsigned char *only)
{
    j->against = levels;
    j->only = only;
    j->base = locusi_covered(j, levels, levels);
    j->counter.next = 0;
    j->counter.workers = j->workers;
    locusi_run(j->o->parallel, locusi_gains_work, j, j->workers);
}

// ---- a heap of models: highest key first, then largest gain, then lowest index

LOCUSI_FN int locusi_heap_before(const locusi_portfolio_job *j, size_t a, size_t b)
{
    if (j->key[a] > j->key[b]) return 1;
    if (j->key[a] < j->key[b]) return 0;
    return j->gain[a] != j->gain[b] ? j->gain[a] > j->gain[b] : a < b;
}

LOCUSI_FN void locusi_heap_sift(locusi_portfolio_job *j, size_t root, size_t n)
{
    size_t *h = j->heap, child;
    while (root < n / 2 && (child = 2 * root + 1) < n) {
        const size_t m = h[root];
        if (child + 1 < n && locusi_heap_before(j, h[child + 1], h[child])) child++;
        if (!locusi_heap_before(j, h[child], m)) break;
        h[root] = h[child];
        h[child] = m;
        root = child;
    }
}

LOCUSI_FN void locusi_heap_make(locusi_portfolio_job *j, size_t n)
{
    size_t i;
    for (i = n / 2; i > 0; i--) locusi_heap_sift(j, i - 1, n);
}

// The first of n goes behind the others.
LOCUSI_FN size_t locusi_heap_pop(locusi_portfolio_job *j, size_t n)
{
    const size_t top = j->heap[0];
    j->heap[0] = j->heap[n - 1];
    j->heap[n - 1] = top;
    locusi_heap_sift(j, 0, n - 1);
    return top;
}

// The key: net gain, or net gain per cost.
LOCUSI_FN void locusi_heap_key(locusi_portfolio_job *j, size_t m, int by_density)
{
    const double net = locusi_net_gain(j, j->gain[m], m), cost = locusi_portfolio_price(j, m);
    j->key[m] = !by_density ? net : cost > 0.0 && net / cost < DBL_MAX ? net / cost : DBL_MAX;
}

// All eligible models (of `only`) whose net gain is positive: how many.
LOCUSI_FN size_t locusi_heap_fill(locusi_portfolio_job *j, int by_density, const unsigned char *only)
{
    size_t m, n = 0;
    for (m = 0; m < j->models; m++) {
        if (!locusi_eligible(j, m) || (only && !only[m]) || !(locusi_net_gain(j, j->gain[m], m) > 0.0)) continue;
        locusi_heap_key(j, m, by_density);
        j->heap[n++] = m;
    }
    locusi_heap_make(j, n);
    return n;
}

// ---- greedy

LOCUSI_FN void locusi_raise(float *levels, const float *p, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++)
        if (p[i] > levels[i]) levels[i] = p[i];
}

// j->set <- the required, then always the model of largest net gain (per cost) that is still affordable, of those in
// `only`. Its levels are left in j->best. Gains are brought up to date one by one where they matter, or all at once
// where that turns out to be many: the picks are the same.
LOCUSI_FN locus_status locusi_greedy(locusi_portfolio_job *j, int by_density, const unsigned char *only, double *net,
                                     locus_error *err)
{
    size_t m, n = 0, left, looks;
    double spent = j->fixed;
    int64_t sum;
    locus_status status;
    for (m = 0; m < j->models; m++) {
        j->round[m] = 0;
        if (locusi_is_required(j, m)) j->set[n++] = m;
    }
    memcpy(j->best, j->floor, j->queries * sizeof(float));
    locusi_gains(j, j->best, only);
    sum = j->base;
    for (m = 0; m < j->models; m++) j->round[m] = n;
    left = locusi_heap_fill(j, by_density, only);
    for (looks = 0; n < j->limit && left > 0;) {
        m = j->heap[0];
        if (spent + locusi_portfolio_price(j, m) > j->budget) {
            locusi_heap_pop(j, left--);
        } else if (j->round[m] == n) {
            locusi_heap_pop(j, left--);
            j->set[n++] = m;
            spent += locusi_portfolio_price(j, m);
            locusi_raise(j->best, locusi_profile_row(j, m), j->queries);
            sum += j->gain[m];
            looks = 0;
            if ((status = locusi_portfolio_step(j, err))) return status;
        } else if (looks++ < 64 + left / 8) {
            j->gain[m] = locusi_covered(j, locusi_profile_row(j, m), j->best) - sum;
            j->round[m] = n;
            locusi_heap_key(j, m, by_density);
            if (locusi_net_gain(j, j->gain[m], m) > 0.0) locusi_heap_sift(j, 0, left);
            else locusi_heap_pop(j, left--);
        } else { // what was dropped before is dropped again: it gains nothing or costs too much
            locusi_gains(j, j->best, only);
            for (m = 0; m < j->models; m++) j->round[m] = n;
            left = locusi_heap_fill(j, by_density, only);
        }
    }
    j->count = n;
    *net = (double)sum * j->unit - j->lambda * spent;
    return LOCUS_OK;
}

// ---- swaps

// The best move that brings model m in: against each member at once, in one pass over its row. A query that m answers
// better than the second best member, but not the best, counts only where that one goes out.
LOCUSI_FN locusi_move locusi_swap_for(const locusi_portfolio_job *j, size_t m, int64_t *recover)
{
    const float *p = locusi_profile_row(j, m);
    const double cost = locusi_portfolio_price(j, m);
    locusi_move move = {0.0, SIZE_MAX, SIZE_MAX};
    int64_t gain = 0;
    size_t i;
    memset(recover, 0, j->slots * sizeof *recover);
    for (i = 0; i < j->queries; i++) {
        int64_t part;
        if (!(p[i] > j->second[i])) continue;
        part = locusi_bits((double)p[i] * j->weight[i] + LOCUSI_MAGIC) - LOCUSI_MAGIC_BITS;
        if (part > j->first[i]) {
            gain += part - j->first[i];
            part = j->first[i];
        }
        recover[j->owner[i]] += part - j->next[i];
    }
    if (j->count < j->limit && j->spent + cost <= j->budget) {
        move.better = locusi_net_gain(j, gain, m);
        move.in = m;
    }
    for (i = 0; i < j->count; i++) {
        const size_t s = j->set[i];
        const int64_t lost = j->loss[i] - (j->slot[i] == SIZE_MAX ? 0 : recover[j->slot[i]]);
        const double better = (double)(gain - lost) * j->unit - j->lambda * (cost - locusi_portfolio_price(j, s));
        if (locusi_is_required(j, s) || j->spent - locusi_portfolio_price(j, s) + cost > j->budget) continue;
        if (move.in != SIZE_MAX && better <= move.better) continue;
        move.better = better;
        move.in = m;
        move.out = i;
    }
    return move;
}

LOCUSI_FN void locusi_swap_work(void *arg, size_t worker)
{
    locusi_portfolio_job *j = (locusi_portfolio_job *)arg;
    size_t mine = 0, item;
    while ((item = locusi_next(&j->counter, worker, &mine)) < j->batched)
        j->moves[item] = locusi_swap_for(j, j->batch[item], j->recover + worker * j->slots);
}

// Best and second best of the set on each query, whose the best is, and what the set loses with each member.
LOCUSI_FN void locusi_swap_prepare(locusi_portfolio_job *j)
{
    size_t i, q, slots = 0;
    for (q = 0; q < j->queries; q++) {
        j->best[q] = j->second[q] = 0.0f;
        j->owner[q] = SIZE_MAX;
    }
    j->spent = 0.0;
    for (i = 0; i < j->count; i++) {
        const float *p = locusi_profile_row(j, j->set[i]);
        j->spent += locusi_portfolio_price(j, j->set[i]);
        j->slot[i] = SIZE_MAX;
        j->loss[i] = 0;
        for (q = 0; q < j->queries; q++) {
            if (p[q] > j->best[q]) {
                j->second[q] = j->best[q];
                j->best[q] = p[q];
                j->owner[q] = i;
            } else if (p[q] > j->second[q]) j->second[q] = p[q];
        }
    }
    for (q = 0; q < j->queries; q++) {
        const size_t i0 = j->owner[q];
        j->first[q] = locusi_bits((double)j->best[q] * j->weight[q] + LOCUSI_MAGIC) - LOCUSI_MAGIC_BITS;
        j->next[q] = locusi_bits((double)j->second[q] * j->weight[q] + LOCUSI_MAGIC) - LOCUSI_MAGIC_BITS;
        if (i0 == SIZE_MAX) {
            j->owner[q] = 0; // nothing to recover there: both are 0
            continue;
        }
        if (j->slot[i0] == SIZE_MAX) j->slot[i0] = slots++;
        j->owner[q] = j->slot[i0];
        j->loss[i0] += j->first[q] - j->next[q];
    }
}

// Of two moves the better one, then that of the lower model, then of the earlier member.
LOCUSI_FN void locusi_move_take(locusi_move *best, const locusi_move *move)
{
    if (!(move->better > LOCUSI_SWAP_LEAST) || move->better < best->better) return;
    if (move->better > best->better || move->in < best->in) *best = *move;
}

// The best move of all. A model's is worth at most its gain to the whole set, less its price, plus the price of what
// goes: models are looked at in that order, until what is left cannot win.
LOCUSI_FN locusi_move locusi_swap_best(locusi_portfolio_job *j)
{
    locusi_move best = {0.0, SIZE_MAX, SIZE_MAX};
    double dearest = 0.0;
    size_t i, m, n = 0;
    for (i = 0; i < j->count; i++) {
        const size_t s = j->set[i];
        const double back = j->lambda * locusi_portfolio_price(j, s);
        locusi_move move = {0.0, SIZE_MAX, SIZE_MAX};
        if (locusi_is_required(j, s)) continue;
        if (back > dearest) dearest = back;
        move.better = back - (double)j->loss[i] * j->unit;
        move.out = i;
        locusi_move_take(&best, &move);
    }
    for (m = 0; m < j->models; m++) {
        if (!locusi_eligible(j, m) || j->in[m]) continue;
        j->key[m] = locusi_net_gain(j, j->gain[m], m) + dearest;
        if (j->key[m] > LOCUSI_SWAP_LEAST) j->heap[n++] = m;
    }
    locusi_heap_make(j, n);
    while (n > 0 && j->key[j->heap[0]] >= best.better) {
        for (j->batched = 0; n > 0 && j->batched < LOCUSI_SWAP_BATCH; j->batched++)
            j->batch[j->batched] = locusi_heap_pop(j, n--);
        j->counter.next = 0;
        j->counter.workers = j->workers;
        locusi_run(j->o->parallel, locusi_swap_work, j, j->workers);
        for (i = 0; i < j->batched; i++)
            if (j->moves[i].in != SIZE_MAX) locusi_move_take(&best, &j->moves[i]);
    }
    return best;
}

// Moves while one helps: j->set of j->count.
LOCUSI_FN locus_status locusi_swaps(locusi_portfolio_job *j, locus_error *err)
{
    locus_status status;
    size_t i;
    memset(j->in, 0, j->models);
    for (i = 0; i < j->count; i++) j->in[j->set[i]] = 1;
    for (;;) {
        locusi_move move;
        if ((status = locusi_portfolio_step(j, err))) return status;
        locusi_swap_prepare(j);
        locusi_gains(j, j->best, NULL);
        move = locusi_swap_best(j);
        if (!(move.better > LOCUSI_SWAP_LEAST)) return LOCUS_OK;
        if (move.out == SIZE_MAX) move.out = j->count++;
        else j->in[j->set[move.out]] = 0;
        if (move.in == SIZE_MAX) {
            j->set[move.out] = j->set[--j->count];
        } else {
            j->set[move.out] = move.in;
            j->in[move.in] = 1;
        }
    }
}

// j->set is compared with the best so far; required and what is swapped in counted, it is within the limits.
LOCUSI_FN void locusi_keep_better(locusi_portfolio_job *j, double net)
{
    if (!(net > j->other_net)) return;
    memcpy(j->other, j->set, j->count * sizeof *j->set);
    j->other_count = j->count;
    j->other_net = net;
}

// From j->set by swaps, then in the order of gain.
LOCUSI_FN locus_status locusi_portfolio_improve(locusi_portfolio_job *j, double *net, locus_error *err)
{
    locus_status status = locusi_swaps(j, err);
    return status ? status : locusi_greedy(j, 0, j->in, net, err);
}

LOCUSI_FN locus_status locusi_portfolio_start(locusi_portfolio_job *j, int by_density, locus_error *err)
{
    double net;
    locus_status status = locusi_greedy(j, by_density, NULL, &net, err);
    if (!status && !j->o->greedy_only) status = locusi_portfolio_improve(j, &net, err);
    if (!status) locusi_keep_better(j, net);
    return status;
}

// ---- the bound

// The largest sum of net gains within one limit: the number of models, or (by_density) the budget. The models that
// make it up are heap[first ..), the last in this order, heap[first], counted by `part` alone.
LOCUSI_FN double locusi_relax_one(locusi_portfolio_job *j, int by_density, size_t *first, size_t *end, double *part)
{
    size_t left = locusi_heap_fill(j, by_density, NULL), room = j->limit - j->required;
    double money = j->budget - j->fixed, sum = 0.0;
    money += 1e-12 * j->budget; // the sets that are held against it may have rounded down
    *end = left;
    *part = 1.0;
    while (left > 0 && (by_density ? money > 0.0 || locusi_portfolio_price(j, j->heap[0]) <= 0.0 : room > 0)) {
        const size_t m = locusi_heap_pop(j, left--);
        const double cost = locusi_portfolio_price(j, m);
        room--;
        if (by_density && cost > money) *part = money / cost;
        sum += *part * locusi_net_gain(j, j->gain[m], m);
        money -= cost;
    }
    *first = left;
    return sum;
}

// The same within both limits: the smaller of the two.
LOCUSI_FN double locusi_relax(locusi_portfolio_job *j, size_t *first, size_t *end, double *part)
{
    double sum = locusi_relax_one(j, 0, first, end, part), other;
    if (j->budget >= DBL_MAX) return sum;
    other = locusi_relax_one(j, 1, first, end, part);
    return other < sum ? other : locusi_relax_one(j, 0, first, end, part);
}

// The models that make up a bound are a set worth a look: j->kept <- them, in their order, as far as they are within
// the limits, if they are better than what was kept before.
LOCUSI_FN void locusi_relaxed_set(locusi_portfolio_job *j, size_t first, size_t end)
{
    double net;
    size_t m;
    j->count = 0;
    j->spent = j->fixed;
    for (m = 0; m < j->models; m++)
        if (locusi_is_required(j, m)) j->set[j->count++] = m;
    memcpy(j->second, j->floor, j->queries * sizeof(float));
    for (; end > first && j->count < j->limit; end--) {
        m = j->heap[end - 1];
        if (j->spent + locusi_portfolio_price(j, m) > j->budget) continue;
        j->set[j->count++] = m;
        j->spent += locusi_portfolio_price(j, m);
        locusi_raise(j->second, locusi_profile_row(j, m), j->queries);
    }
    net = (double)locusi_covered(j, j->second, j->second) * j->unit - j->lambda * j->spent;
    if (j->kept_count && !(net > j->kept_net)) return;
    memcpy(j->kept, j->set, j->count * sizeof *j->set);
    j->kept_count = j->count;
    j->kept_net = net;
}

// Swaps from what was kept; from now on something new is kept.
LOCUSI_FN locus_status locusi_portfolio_retry(locusi_portfolio_job *j, locus_error *err)
{
    double net;
    locus_status status;
    if (!j->kept_count) return LOCUS_OK;
    memcpy(j->set, j->kept, j->kept_count * sizeof *j->set);
    j->count = j->kept_count;
    j->kept_count = 0;
    if ((status = locusi_portfolio_improve(j, &net, err))) return status;
    locusi_keep_better(j, net);
    return LOCUS_OK;
}

// One step down the slope of the bound `here`, whose models are heap[first .. end): a level falls where none of them
// goes beyond it, and rises where several do. 0: there is no slope.
LOCUSI_FN int locusi_portfolio_descend(locusi_portfolio_job *j, size_t first, size_t end, double part, double length)
{
    double norm = 0.0;
    size_t i, q;
    for (q = 0; q < j->queries; q++) j->slope[q] = 1.0;
    for (i = first; i < end; i++) {
        const float *p = locusi_profile_row(j, j->heap[i]);
        const double share = i == first ? part : 1.0;
        for (q = 0; q < j->queries; q++)
            if (p[q] > j->level[q]) j->slope[q] -= share;
    }
    for (q = 0; q < j->queries; q++) {
        if (!(j->weight[q] > 0.0) || (j->slope[q] > 0.0 && j->level[q] <= j->floor[q])) j->slope[q] = 0.0;
        norm += j->slope[q] * j->slope[q];
    }
    if (!(norm > 0.0)) return 0;
    for (q = 0; q < j->queries; q++) {
        double level = (double)j->level[q];
        if (!(fabs(j->slope[q]) > 0.0)) continue;
        level -= length / norm * j->slope[q] / (j->weight[q] * j->unit);
        j->level[q] = level >= 1.0 ? 1.0f : level > (double)j->floor[q] ? (float)level : j->floor[q];
    }
    return 1;
}

// *bound <- the smallest that was found, for the best of the required models as levels, then from the best of the best
// set on. What the steps come across may become a better set, where `search` allows the time.
LOCUSI_FN locus_status locusi_portfolio_bound(locusi_portfolio_job *j, size_t steps, int search, double *bound,
                                              locus_error *err)
{
    double reach = 1.0, here, part;
    size_t step, i, stalled = 0, first, end;
    locus_status status;
    *bound = DBL_MAX;
    memcpy(j->level, j->floor, j->queries * sizeof(float));
    for (step = 0; step < steps; step++) {
        if ((status = locusi_portfolio_step(j, err))) return status;
        if (step == 1)
            for (i = 0; i < j->other_count; i++) locusi_raise(j->level, locusi_profile_row(j, j->other[i]), j->queries);
        locusi_gains(j, j->level, NULL);
        here = (double)j->base * j->unit - j->lambda * j->fixed + locusi_relax(j, &first, &end, &part);
        stalled++;
        if (here < *bound) {
            *bound = here;
            stalled = 0;
        }
        if (*bound - j->other_net <= LOCUSI_PROVEN) return LOCUS_OK;
        if (search) locusi_relaxed_set(j, first, end);
        if (step > 0 && !locusi_portfolio_descend(j, first, end, part, reach * (here - j->other_net))) break;
        if (stalled < LOCUSI_STALLED) continue;
        stalled = 0;
        reach *= 0.5;
        if ((status = locusi_portfolio_retry(j, err))) return status;
    }
    return locusi_portfolio_retry(j, err);
}

// ---- together

LOCUS_API size_t locus_portfolio_workspace(const locus_points *profiles, const locus_portfolio_opts *opts)
{
    locusi_portfolio_job j;
    locus_portfolio_opts zero;
    locusi_carver c = {NULL, 0, 0};
    size_t bytes;
    if (!profiles) return 0;
    memset(&zero, 0, sizeof zero);
    locusi_portfolio_plan(&j, profiles, opts ? opts : &zero, &c);
    return c.failed || !locusi_add(c.used, 64, &bytes) ? 0 : bytes;
}

// Limits and weights; *mass <- the summed weights.
LOCUSI_FN locus_status locusi_check_portfolio(const locus_points *profiles, const locus_portfolio_opts *o, double *mass,
                                              locus_error *err)
{
    size_t i, required = 0;
    double fixed = 0.0;
    *mass = 0.0;
    if (profiles->dim == 0) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "profiles.dim", "at least 1", "0");
    if (profiles->count && !profiles->rows) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "profiles", "rows", "NULL");
    if (profiles->stride && profiles->stride < profiles->dim)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "profiles.stride", "0 or at least %z", "%z", profiles->dim,
                           profiles->stride);
    if (!locusi_within(o->budget, 0.0, DBL_MAX))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "budget", "finite and not negative", "%f", o->budget);
    if (!locusi_within(o->lambda, 0.0, DBL_MAX))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "lambda", "finite and not negative", "%f", o->lambda);
    if ((o->budget > 0.0 || o->lambda > 0.0) && !o->cost)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "cost", "costs, for the %s", "NULL",
                           o->budget > 0.0 ? "budget" : "lambda");
    for (i = 0; i < profiles->count; i++) {
        if (o->cost && (!locusi_finite(o->cost[i]) || o->cost[i] < 0.0f))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "cost[%z]", "finite and not negative", "%f", i,
                               (double)o->cost[i]);
        if (!o->required || !o->required[i]) continue;
        required++;
        if (o->cost) fixed += (double)o->cost[i];
    }
    for (i = 0; i < profiles->dim; i++) {
        if (o->weight && (!locusi_finite(o->weight[i]) || o->weight[i] < 0.0f))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "weight[%z]", "finite and not negative", "%f", i,
                               (double)o->weight[i]);
        *mass += o->weight ? (double)o->weight[i] : 1.0;
    }
    if (!(*mass > 0.0)) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "weight", "one above 0", "none");
    if (o->count && required > o->count)
        return locusi_fail(err, LOCUS_ERR_BUDGET, "count", "at least %z, the required models", "%z", required,
                           o->count);
    if (o->budget > 0.0 && fixed > o->budget)
        return locusi_fail(err, LOCUS_ERR_BUDGET, "budget", "at least %f, the cost of the required models", "%f", fixed,
                           o->budget);
    return LOCUS_OK;
}

// The first value that is no chance.
LOCUSI_FN locus_status locusi_bad_chance(const char *what, const locus_points *rows, locus_error *err)
{
    const size_t stride = rows->stride ? rows->stride : rows->dim;
    size_t m = 0, q = 0;
    while (m + 1 < rows->count && locusi_chances(rows->rows + m * stride, rows->dim)) m++;
    while (q + 1 < rows->dim && locusi_chances(rows->rows + m * stride + q, 1)) q++;
    return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s[%z, %z]", "0 to 1", "%f", what, m, q,
                       (double)rows->rows[m * stride + q]);
}

LOCUS_API locus_status locus_portfolio_choose(const locus_points *profiles, const locus_portfolio_opts *opts,
                                              size_t *picks, double *value_of, locus_portfolio *out, void *work,
                                              size_t work_bytes, locus_error *err)
{
    locusi_portfolio_job job, *j = &job;
    locus_portfolio_opts zero;
    const locus_portfolio_opts *o = opts ? opts : &zero;
    locusi_carver c = {NULL, 0, 0};
    locus_isa isa = o == opts ? o->isa : LOCUS_ISA_AUTO;
    double mass, volume;
    size_t bytes, i, steps, candidates = 0;
    int exponent, by_cost;
    locus_status status;
    memset(&zero, 0, sizeof zero);
    if (!profiles || !picks || !out)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !profiles ? "profiles"
                           : !picks  ? "picks"
                                     : "out");
    memset(out, 0, sizeof *out);
    if ((status = locusi_check_portfolio(profiles, o, &mass, err)) || (status = locusi_isa_choose(&isa, err)))
        return status;
    bytes = locus_portfolio_workspace(profiles, o);
    if (!bytes || !work || work_bytes < bytes)
        return locusi_fail(err, LOCUS_ERR_MEMORY, "work", "%z bytes", "%z", bytes, work ? work_bytes : 0);
    c.base = locusi_align(work);
    locusi_portfolio_plan(j, profiles, o, &c);
    j->k = locusi_kernels_for(isa);
    j->lambda = o->lambda;
    j->budget = o->budget > 0.0 ? o->budget : DBL_MAX;

    // Weights in units of which all together make at most 2^50.
    (void)frexp(mass, &exponent);
    for (i = 0; i < locusi_pad(j->queries); i++) {
        j->weight[i] = i < j->queries ? ldexp(o->weight ? (double)o->weight[i] : 1.0, 50 - exponent) : 0.0;
        j->floor[i] = 0.0f;
    }
    j->unit = 1.0 / ldexp(mass, 50 - exponent);
    j->check = 1;
    locusi_gains(j, j->floor, NULL);
    if (j->bad) return locusi_bad_chance("profiles", profiles, err);
    j->check = 0;
    for (i = 0; i < j->models; i++) {
        if (!locusi_is_required(j, i)) continue;
        j->required++;
        j->fixed += locusi_portfolio_price(j, i);
        locusi_raise(j->floor, locusi_profile_row(j, i), j->queries);
    }
    for (i = 0; i < j->models; i++) candidates += (size_t)locusi_eligible(j, i);
    if (candidates + j->required == 0)
        return locusi_fail(err, LOCUS_ERR_NO_CANDIDATE, "profiles", "an available model within the limits",
                           "none of %z", j->models);

    // Greedy by gain begins with the best affordable model, so the better of the two is never worse than that one.
    // Where costs count for anything, each start has its own swaps: they often end in different places.
    volume = (double)j->models * (double)j->queries;
    steps = volume * (double)LOCUSI_BOUND_STEPS < 8e9 ? LOCUSI_BOUND_STEPS
            : volume * 8.0 > 8e9                      ? 8
                                                      : (size_t)(8e9 / volume);
    by_cost = j->budget < DBL_MAX || j->lambda > 0.0;
    j->total = j->limit * (by_cost ? 2 : 1) + steps;
    j->other_net = -DBL_MAX;
    if ((status = locusi_portfolio_start(j, 0, err)) || (by_cost && (status = locusi_portfolio_start(j, 1, err))))
        return status;
    if ((status = locusi_portfolio_bound(j, steps, !o->greedy_only && steps == LOCUSI_BOUND_STEPS, &out->bound, err)))
        return status;
    memset(j->best, 0, j->queries * sizeof(float));
    out->count = j->other_count;
    for (i = 0; i < out->count; i++) {
        picks[i] = j->other[i];
        out->cost += locusi_portfolio_price(j, picks[i]);
        locusi_raise(j->best, locusi_profile_row(j, picks[i]), j->queries);
        if (value_of) value_of[i] = (double)locusi_covered(j, j->best, j->best) * j->unit;
    }
    out->value = (double)locusi_covered(j, j->best, j->best) * j->unit;
    if (out->bound < out->value - j->lambda * out->cost) out->bound = out->value - j->lambda * out->cost;
    return LOCUS_OK;
}

// ---------------------------------------------------------------------------------------------------------- >>search

// *scale <- the largest weight, so that no sum of weights overflows.
LOCUSI_FN locus_status locusi_check_wish(const locus_wish *wish, size_t categories, double *scale, locus_error *err)
{
    size_t c;
    *scale = 0.0;
    for (c = 0; c < categories; c++) {
        if (!locusi_within(wish[c].weight, 0.0, DBL_MAX))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "wish[%z].weight", "finite and not negative", "%f", c,
                               wish[c].weight);
        if (wish[c].weight > 0.0 && !locusi_within(wish[c].accuracy, 0.0, 1.0))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "wish[%z].accuracy", "0 to 1", "%f", c, wish[c].accuracy);
        if (wish[c].weight > *scale) *scale = wish[c].weight;
    }
    if (!(*scale > 0.0)) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "wish", "a weight above 0", "none");
    return LOCUS_OK;
}

// Nearer, or at the same distance of lower index.
LOCUSI_FN int locusi_match_order(const void *a, const void *b)
{
    const locus_match *x = (const locus_match *)a, *y = (const locus_match *)b;
    if (x->distance < y->distance) return -1;
    if (x->distance > y->distance) return 1;
    return (x->model > y->model) - (x->model < y->model);
}

// The k nearest are kept as a heap, the farthest on top.
LOCUSI_FN void locusi_match_sift(locus_match *heap, size_t root, size_t n)
{
    size_t child;
    while (root < n / 2 && (child = 2 * root + 1) < n) {
        const locus_match top = heap[root];
        if (child + 1 < n && locusi_match_order(&heap[child], &heap[child + 1]) < 0) child++;
        if (locusi_match_order(&top, &heap[child]) >= 0) break;
        heap[root] = heap[child];
        heap[child] = top;
        root = child;
    }
}

LOCUS_API locus_status locus_search(const double *means, size_t models, const locus_wish *wish, size_t categories,
                                    size_t k, const unsigned char *available, locus_match *out, locus_error *err)
{
    size_t m, c, i, found = 0;
    double scale;
    locus_status status;
    if ((!means && models > 0) || !wish || (!out && k > 0))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !wish                  ? "wish"
                           : !means && models > 0 ? "means"
                                                  : "out");
    if ((status = locusi_check_wish(wish, categories, &scale, err))) return status;
    for (m = 0; m < models; m++) {
        const double *row = means + m * categories;
        double sum = 0.0, weight = 0.0;
        locus_match match;
        if (available && !available[m]) continue;
        for (c = 0; c < categories; c++) {
            const double w = wish[c].weight / scale, gap = row[c] - wish[c].accuracy;
            if (!(w > 0.0) || !locusi_finite((float)row[c])) continue;
            sum += w * gap * gap;
            weight += w;
        }
        if (!(weight > 0.0) || k == 0) continue;
        match.model = m;
        match.distance = sqrt(sum / weight);
        if (found < k) {
            out[found++] = match;
            if (found == k)
                for (i = k / 2; i > 0; i--) locusi_match_sift(out, i - 1, k);
        } else if (locusi_match_order(&match, &out[0]) < 0) {
            out[0] = match;
            locusi_match_sift(out, 0, k);
        }
    }
    if (found > 0) locusi_sort(out, found, sizeof *out, locusi_match_order);
    for (i = found; i < k; i++) {
        out[i].model = SIZE_MAX;
        out[i].distance = (double)locusi_nan();
    }
    return LOCUS_OK;
}

LOCUS_API locus_status locus_imagine(const int32_t *category, size_t n, const locus_wish *wish, size_t categories,
                                     uint64_t seed, unsigned char *scores, locus_error *err)
{
    size_t c, i;
    double scale;
    locus_status status;
    if (!category || !wish || !scores)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !category ? "category"
                           : !wish   ? "wish"
                                     : "scores");
    if ((status = locusi_check_wish(wish, categories, &scale, err))) return status;
    if (n > 0) memset(scores, 255, n);
    for (c = 0; c < categories; c++) {
        size_t left = 0, right;
        if (!(wish[c].weight > 0.0)) continue;
        for (i = 0; i < n; i++) left += category[i] >= 0 && (size_t)category[i] == c;
        right = (size_t)(wish[c].accuracy * (double)left + 0.5);
        // Of the `left` still to come, `right` are to be 1, each choice equally likely (Knuth's algorithm S).
        for (i = 0; i < n && left > 0; i++) {
            double draw;
            if (category[i] < 0 || (size_t)category[i] != c) continue;
            draw = (double)(locusi_mix(locusi_mix(seed + 0x9e3779b97f4a7c15u) + i) >> 11) / 9007199254740992.0;
            scores[i] = draw * (double)left < (double)right;
            right -= scores[i];
            left--;
        }
    }
    return LOCUS_OK;
}

// --------------------------------------------------------------------------------------------------------- >>compare

// ---- intervals

// z with P(|Z| <= z) = level of the normal distribution.
LOCUSI_FN double locusi_normal_quantile(double level)
{
    double low = 0.0, high = 40.0;
    int i;
    for (i = 0; i < 80; i++) {
        const double z = 0.5 * (low + high);
        if (erfc(z * 0.70710678118654752) > 1.0 - level) low = z;
        else high = z;
    }
    return 0.5 * (low + high);
}

// P(|T| <= sqrt(df) tan(angle)) of Student's distribution, a finite sum for whole df (Abramowitz and Stegun 26.7.3-4).
LOCUSI_FN double locusi_student(double angle, size_t df)
{
    const double c = cos(angle), s = sin(angle);
    double term = df % 2 ? c : 1.0, sum = 0.0;
    size_t i;
    for (i = df % 2 ? 1 : 0; i + 2 <= df; i += 2) {
        sum += term;
        term *= c * c * (double)(i + 1) / (double)(i + 2);
    }
    return df % 2 ? 0.63661977236758134 * (angle + s * sum) : s * sum;
}

// t with P(|T| <= t) = level, 0 < level < 1, df >= 1. Far out, where the sum grows long, the expansion in 1 / df around
// the normal distribution (26.7.5) is exact to 1e-9.
LOCUSI_FN double locusi_student_quantile(double level, size_t df)
{
    if (df > 400) {
        const double z = locusi_normal_quantile(level), n = (double)df, z2 = z * z;
        const double a = (z2 + 1.0) / 4.0, b = ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0;
        const double c = (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0;
        const double d = ((((79.0 * z2 + 776.0) * z2 + 1482.0) * z2 - 1920.0) * z2 - 945.0) / 92160.0;
        return z * (1.0 + (a + (b + (c + d / n) / n) / n) / n);
    } else {
        double low = 0.0, high = 1.5707963267948966;
        int i;
        for (i = 0; i < 80; i++) {
            const double angle = 0.5 * (low + high);
            if (locusi_student(angle, df) < level) low = angle;
            else high = angle;
        }
        return sqrt((double)df) * tan(0.5 * (low + high));
    }
}

// Mean and squared deviations of a stream of values (Welford's recurrence).
typedef struct locusi_spread {
    size_t count;
    double mean, squares;
} locusi_spread;

LOCUSI_FN void locusi_spread_add(locusi_spread *s, double x)
{
    const double off = x - s->mean;
    s->count++;
    s->mean += off / (double)s->count;
    s->squares += off * (x - s->mean);
}

LOCUSI_FN locus_interval locusi_interval_from(double value, const locusi_spread *s, int jackknife, double level)
{
    locus_interval out;
    double half;
    out.value = value;
    out.low = out.high = (double)locusi_nan();
    if (s->count < 2 || !locusi_within(level, 0.0, 1.0) || level <= 0.0 || level >= 1.0) return out;
    half = sqrt(s->squares / (double)(s->count - 1)) * locusi_student_quantile(level, s->count - 1);
    if (jackknife) half *= (double)(s->count - 1) / sqrt((double)s->count);
    out.low = value - half;
    out.high = value + half;
    return out;
}

LOCUS_API locus_interval locus_interval_of(double value, const double *resampled, size_t count, int jackknife,
                                           double level)
{
    locusi_spread s = {0, 0.0, 0.0};
    size_t i;
    for (i = 0; resampled && i < count; i++) locusi_spread_add(&s, resampled[i]);
    return locusi_interval_from(value, &s, jackknife, level);
}

LOCUS_API size_t locus_evaluations_needed(size_t evaluations, const locus_interval *now, double wanted)
{
    double ratio, needed;
    if (!now || evaluations == 0 || locusi_is_nan((float)wanted) || wanted <= 0.0 ||
        locusi_is_nan((float)(now->high - now->low)))
        return SIZE_MAX;
    ratio = 0.5 * (now->high - now->low) / wanted;
    needed = ceil((double)evaluations * ratio * ratio * (1.0 - 1e-12)); // no evaluation more for a rounding error
    return needed < 9007199254740992.0 && needed < (double)(SIZE_MAX / 2) ? (size_t)needed : SIZE_MAX;
}

// Of a share: right of n (Wilson 1927).
LOCUSI_FN locus_interval locusi_wilson(size_t right, size_t n, double level)
{
    const double z = locusi_normal_quantile(level), z2 = z * z, count = (double)n;
    locus_interval out;
    double middle, half;
    out.value = out.low = out.high = (double)locusi_nan();
    if (n == 0) return out;
    out.value = (double)right / count;
    middle = (out.value + z2 / (2.0 * count)) / (1.0 + z2 / count);
    half = z / (1.0 + z2 / count) * sqrt(out.value * (1.0 - out.value) / count + z2 / (4.0 * count * count));
    out.low = right == 0 ? 0.0 : middle - half;
    out.high = right == n ? 1.0 : middle + half;
    return out;
}

// ---- two models

LOCUSI_FN const float *locusi_compare_row(const locus_points *p, size_t i)
{
    return p->rows + i * (p->stride ? p->stride : p->dim);
}

// Mean difference over the queries of one category (category NULL: over all); NaN if it has none.
LOCUSI_FN double locusi_compare_difference(const float *a, const float *b, size_t n, const int32_t *category,
                                           size_t which)
{
    double sum = 0.0;
    size_t i, count = 0;
    for (i = 0; i < n; i++) {
        if (category && (category[i] < 0 || (size_t)category[i] != which)) continue;
        sum += (double)a[i] - (double)b[i];
        count++;
    }
    return count ? sum / (double)count : (double)locusi_nan();
}

LOCUSI_FN double locusi_mean_chance(const float *p, size_t n)
{
    double sum = 0.0;
    size_t i;
    for (i = 0; i < n; i++) sum += (double)p[i];
    return sum / (double)n;
}

// The chance that two models differ on a query: coins with chances a and b and this correlation, or as near to it as
// two such coins can come.
LOCUSI_FN double locusi_disagreement(double a, double b, double correlation)
{
    const double least = fabs(a - b), most = a + b < 1.0 ? a + b : 2.0 - a - b;
    double d = a * (1.0 - b) + (1.0 - a) * b - 2.0 * correlation * sqrt(a * (1.0 - a) * b * (1.0 - b));
    d = d < most ? d : most;
    return d > least ? d : least;
}

LOCUSI_FN double locusi_compare_agreement(const float *a, const float *b, size_t n, double correlation)
{
    double sum = 0.0;
    size_t i;
    for (i = 0; i < n; i++) sum += 1.0 - locusi_disagreement((double)a[i], (double)b[i], correlation);
    return sum / (double)n;
}

LOCUSI_FN locus_status locusi_check_profile(const char *name, const locus_points *p, locus_error *err)
{
    size_t i;
    if (!p || !p->rows) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "profiles", "NULL", name);
    if (p->count == 0 || p->dim == 0)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "at least one profile of one query", "[%z, %z]", name,
                           p->count, p->dim);
    if (p->stride && p->stride < p->dim)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s.stride", "0 or at least %z", "%z", name, p->dim, p->stride);
    for (i = 0; i < p->count; i++)
        if (!locusi_chances(locusi_compare_row(p, i), p->dim)) return locusi_bad_chance(name, p, err);
    return LOCUS_OK;
}

// Resampled rows of both are taken in pairs, as they may have been drawn together; where only one has any, the other's
// own row stands against all of them.
LOCUSI_FN size_t locusi_compare_pairs(const locus_points *a, const locus_points *b)
{
    if (a->count == 1 || b->count == 1) return (a->count > b->count ? a->count : b->count) - 1;
    return (a->count < b->count ? a->count : b->count) - 1;
}

LOCUS_API locus_status locus_compare(const locus_points *a, const locus_points *b, const locus_compare_opts *opts,
                                     locus_comparison *out, locus_error *err)
{
    locus_compare_opts zero;
    const locus_compare_opts *o = opts ? opts : &zero;
    locusi_spread own[2], difference, agreement;
    double level;
    size_t i, c, n, pairs, same = 0;
    locus_status status;
    memset(&zero, 0, sizeof zero);
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    memset(out, 0, sizeof *out);
    if ((status = locusi_check_profile("a", a, err)) || (status = locusi_check_profile("b", b, err))) return status;
    n = a->dim;
    if (b->dim != n) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "b.dim", "%z as of a", "%z", n, b->dim);
    if (!locusi_within(o->level, 0.0, 1.0) || o->level >= 1.0)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "level", "0 to below 1", "%f", o->level);
    level = o->level > 0.0 ? o->level : 0.9;
    if (!locusi_within(o->correlation, -1.0, 1.0))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "correlation", "-1 to 1", "%f", o->correlation);
    if (o->by_category && !o->category)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "category", "the queries' categories, for by_category", "NULL");
    if (!o->scores_a != !o->scores_b)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "scores", "both models' or none", "%s alone",
                           o->scores_a ? "scores_a" : "scores_b");

    memset(own, 0, sizeof own);
    memset(&difference, 0, sizeof difference);
    memset(&agreement, 0, sizeof agreement);
    for (i = 1; i < a->count; i++) locusi_spread_add(&own[0], locusi_mean_chance(locusi_compare_row(a, i), n));
    for (i = 1; i < b->count; i++) locusi_spread_add(&own[1], locusi_mean_chance(locusi_compare_row(b, i), n));
    pairs = locusi_compare_pairs(a, b);
    for (i = 1; i <= pairs; i++) {
        const float *x = locusi_compare_row(a, a->count > 1 ? i : 0), *y = locusi_compare_row(b, b->count > 1 ? i : 0);
        locusi_spread_add(&difference, locusi_compare_difference(x, y, n, NULL, 0));
        locusi_spread_add(&agreement, locusi_compare_agreement(x, y, n, o->correlation));
    }
    out->accuracy_a = locusi_interval_from(locusi_mean_chance(a->rows, n), &own[0], 0, level);
    out->accuracy_b = locusi_interval_from(locusi_mean_chance(b->rows, n), &own[1], 0, level);
    out->difference =
        locusi_interval_from(locusi_compare_difference(a->rows, b->rows, n, NULL, 0), &difference, 0, level);
    out->agreement =
        locusi_interval_from(locusi_compare_agreement(a->rows, b->rows, n, o->correlation), &agreement, 0, level);
    for (c = 0; o->by_category && c < o->categories; c++) {
        locusi_spread s = {0, 0.0, 0.0};
        const double value = locusi_compare_difference(a->rows, b->rows, n, o->category, c);
        for (i = 1; i <= pairs; i++)
            locusi_spread_add(&s, locusi_compare_difference(locusi_compare_row(a, a->count > 1 ? i : 0),
                                                            locusi_compare_row(b, b->count > 1 ? i : 0), n, o->category,
                                                            c));
        o->by_category[c] = locusi_interval_from(value, &s, 0, level);
    }
    for (i = 0; o->scores_a && i < o->answers; i++) {
        const unsigned char x = o->scores_a[i], y = o->scores_b[i];
        if ((x > 1 && x != 255) || (y > 1 && y != 255)) {
            const int in_a = x > 1 && x != 255;
            return locusi_fail(err, LOCUS_ERR_SCORE, "%s[%z]", "0, 1 or 255", "%d", in_a ? "scores_a" : "scores_b", i,
                               (int)(in_a ? x : y));
        }
        if (x == 255 || y == 255) continue;
        out->shared++;
        same += x == y;
    }
    out->observed = locusi_wilson(same, out->shared, level);
    return LOCUS_OK;
}

// ----------------------------------------------------------------------------------------------------- >>uncertainty
//
// What a model might be, given only these evaluations: versions of it from resampled evaluations. The embeddings come
// from one table of tokens, the memory's rows from one factor, so that a version errs in both in the same way, as the
// model itself does.
//
// A bootstrap shows the noise of the evaluations, but not what a prior hides: the memory shrinks a model towards the
// pool, and what few evaluations do not tell is the same in all versions. So the ridge regression of a version has,
// beside the weights c_i of its evaluations, a draw e of the prior's noise,
//
//     (Phi' C W Phi + 1) theta = Phi' C W y + sqrt(own variance) e,    e normal,
//
// which with fixed y would be a draw from the posterior, and its mean likewise starts from a draw of the models' mean.
// It is solved for 16 versions at a time by conjugate gradients from the full solution, with the full factor before
// it. The net's part has no such prior to draw from. Measured on held-out models (bench/coverage.c), the two together
// keep what they promise as they are: there is no factor to be fitted.

#define LOCUSI_GRADIENT_STEPS 3 // the versions' matrices are near the full one

// An empty pool like another: its net, memory and calibration, room for `count` models.
LOCUSI_FN locus_status locusi_pool_like(locus_pool **out, const locus_pool *pool, size_t count, locus_error *err)
{
    const locusi_recall *from = &pool->memory;
    locusi_recall *to;
    const locus_status status = locusi_pool_create(out, pool->net, count, pool->query_encoder, from, NULL, 0, err);
    if (status) return status;
    (*out)->calibrated = pool->calibrated;
    (*out)->calibration_shared = pool->calibration_shared;
    if (!from->landmarks) return LOCUS_OK;
    to = &(*out)->memory;
    locusi_recall_copy(to, from);
    locusi_recall_pack(to, pool->net->kernels);
    return LOCUS_OK;
}

// Model `index` of it <- version "#1", "#2", ...: one that it has, or the next. row NULL: the net alone predicts it.
LOCUSI_FN locus_status locusi_pool_version(locus_pool *pool, size_t index, uint64_t evaluations, const float *z,
                                           const float *row, float base, locus_error *err)
{
    locus_model model;
    locus_status status;
    size_t i;
    memset(&model, 0, sizeof model);
    locusi_text(model.name, sizeof model.name, "#%z", index + 1);
    model.parameters_b = locusi_nan();
    model.available = 1;
    model.evaluations = evaluations;
    status =
        index < pool->count ? locus_pool_set(pool, index, &model, z, err) : locus_pool_add(pool, &model, z, NULL, err);
    if (status || !pool->memory.landmarks) return status;
    for (i = 0; row && i < pool->memory.landmarks; i++) *locusi_recall_at(pool, index, i) = row[i];
    if (row) pool->recall_base[index] = base;
    pool->recalled[index] = row != NULL;
    return LOCUS_OK;
}

typedef enum locusi_draw {
    LOCUSI_DRAW_EVALUATION = 1,
    LOCUSI_DRAW_GROUP,
    LOCUSI_DRAW_PRIOR,
    LOCUSI_DRAW_MEAN
} locusi_draw;

// Counter-based: depends on (seed, what for, version, index) alone.
LOCUSI_FN uint64_t locusi_draw_bits(uint64_t seed, locusi_draw what, size_t version, size_t index)
{
    const uint64_t h = locusi_mix(seed + (uint64_t)what * 0x9e3779b97f4a7c15u);
    return locusi_mix(locusi_mix(h + (uint64_t)version * 0xc2b2ae3d27d4eb4fu) + (uint64_t)index * 0x165667b19e3779f9u);
}

LOCUSI_FN double locusi_draw_normal(uint64_t seed, locusi_draw what, size_t version, size_t index)
{
    const uint64_t bits = locusi_draw_bits(seed, what, version, index);
    const double u = ((double)(bits >> 32) + 0.5) / 4294967296.0, angle = (double)(bits & 0xffffffffu) / 4294967296.0;
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * angle);
}

// The evaluations of every version. row[n]: those that there are; order: scratch.
LOCUSI_FN void locusi_resample_draw(locusi_job *job, const size_t *row, size_t n, size_t versions, int jackknife,
                                    uint64_t seed, size_t *order)
{
    size_t r, i;
    for (i = 0; i < n; i++) order[i] = i;
    for (i = 0; jackknife && i + 1 < n; i++) { // groups are runs of a shuffled order, dealt out in turn
        const size_t at = i + (size_t)(locusi_draw_bits(seed, LOCUSI_DRAW_GROUP, 0, i) % (n - i)), swap = order[at];
        order[at] = order[i];
        order[i] = swap;
    }
    for (r = 0; r < versions; r++) {
        uint32_t *draw = job->draws + r * job->n;
        size_t count = 0;
        for (i = 0; i < n; i++) {
            if (!jackknife) draw[count++] = (uint32_t)row[locusi_draw_bits(seed, LOCUSI_DRAW_EVALUATION, r, i) % n];
            else if (i % versions != r) draw[count++] = (uint32_t)row[order[i]];
        }
        job->drawn[r] = count;
    }
}

#define LOCUSI_PANEL ((size_t)16) // versions solved at once: the columns of a panel

// x [n, PANEL] <- L^-1 x, and L^-T x
LOCUSI_FN void locusi_panel_lower(const double *l, size_t n, double *x)
{
    size_t i, k, v;
    for (i = 0; i < n; i++) {
        double *to = x + i * LOCUSI_PANEL;
        for (k = 0; k < i; k++) {
            const double a = l[i * n + k], *from = x + k * LOCUSI_PANEL;
            for (v = 0; v < LOCUSI_PANEL; v++) to[v] -= a * from[v];
        }
        for (v = 0; v < LOCUSI_PANEL; v++) to[v] /= l[i * n + i];
    }
}

LOCUSI_FN void locusi_panel_upper(const double *l, size_t n, double *x)
{
    size_t i, k, v;
    for (i = n; i-- > 0;) {
        double *from = x + i * LOCUSI_PANEL;
        for (v = 0; v < LOCUSI_PANEL; v++) from[v] /= l[i * n + i];
        for (k = 0; k < i; k++) {
            const double a = l[i * n + k];
            double *to = x + k * LOCUSI_PANEL;
            for (v = 0; v < LOCUSI_PANEL; v++) to[v] -= a * from[v];
        }
    }
}

LOCUSI_FN void locusi_panel_dot(const double *a, const double *b, size_t n, double *out)
{
    size_t i, v;
    memset(out, 0, LOCUSI_PANEL * sizeof(double));
    for (i = 0; i < n; i++)
        for (v = 0; v < LOCUSI_PANEL; v++) out[v] += a[i * LOCUSI_PANEL + v] * b[i * LOCUSI_PANEL + v];
}

typedef struct locusi_panel { // one worker's
    float *weight, *u;        // [n, PANEL]
    float *in, *out;          // [landmarks, PANEL]
    double *x, *r, *z, *p, *a;
    size_t mine;
} locusi_panel;

typedef struct locusi_resample_job {
    const locusi_own *own;
    const locusi_job *draws;
    const size_t *ordinal; // [rows of evals] place among the evaluations that there are
    size_t versions, workers;
    double noise; // of the priors
    uint64_t seed;
    float *rows, *base; // [versions, landmarks], [versions]
    locusi_panel *panels;
    locusi_counter counter;
    int bad;
} locusi_resample_job;

LOCUSI_FN void locusi_panel_carve(locusi_panel *w, size_t n, size_t p, locusi_carver *c)
{
    w->weight = locusi_carve_floats(c, n, LOCUSI_PANEL);
    w->u = locusi_carve_floats(c, n, LOCUSI_PANEL);
    w->in = locusi_carve_floats(c, p, LOCUSI_PANEL);
    w->out = locusi_carve_floats(c, p, LOCUSI_PANEL);
    w->x = (double *)locusi_carve(c, p * LOCUSI_PANEL, sizeof(double));
    w->r = (double *)locusi_carve(c, p * LOCUSI_PANEL, sizeof(double));
    w->z = (double *)locusi_carve(c, p * LOCUSI_PANEL, sizeof(double));
    w->p = (double *)locusi_carve(c, p * LOCUSI_PANEL, sizeof(double));
    w->a = (double *)locusi_carve(c, p * LOCUSI_PANEL, sizeof(double));
}

// out <- (Phi' C W Phi + 1) in, column by column
LOCUSI_FN void locusi_panel_apply(const locusi_own *o, locusi_panel *w, const double *in, double *out)
{
    const size_t p = o->m.landmarks, cells = p * LOCUSI_PANEL;
    size_t i;
    for (i = 0; i < cells; i++) w->in[i] = (float)in[i];
    locusi_matmul_run(o->r.k, o->phi, p, o->n, p, w->in, LOCUSI_PANEL, w->u, LOCUSI_PANEL, NULL, NULL, 0, 0);
    for (i = 0; i < o->n * LOCUSI_PANEL; i++) w->u[i] *= w->weight[i];
    locusi_product(o->r.k, o->phi, 1, p, p, o->n, w->u, LOCUSI_PANEL, 16, LOCUSI_PANEL, w->out, LOCUSI_PANEL, 0);
    for (i = 0; i < cells; i++) out[i] = in[i] + (double)w->out[i];
}

LOCUSI_FN void locusi_panel_solve(const locusi_own *o, locusi_panel *w)
{
    const size_t p = o->m.landmarks, cells = p * LOCUSI_PANEL;
    double rz[LOCUSI_PANEL], pa[LOCUSI_PANEL], next[LOCUSI_PANEL];
    size_t step, i, v;
    for (step = 0; step < LOCUSI_GRADIENT_STEPS; step++) {
        memcpy(w->z, w->r, cells * sizeof(double));
        locusi_panel_lower(o->r.factor, p, w->z);
        locusi_panel_upper(o->r.factor, p, w->z);
        locusi_panel_dot(w->r, w->z, p, next);
        for (i = 0; i < p; i++)
            for (v = 0; v < LOCUSI_PANEL; v++) {
                const size_t at = i * LOCUSI_PANEL + v;
                w->p[at] = w->z[at] + (step && rz[v] > 0.0 ? next[v] / rz[v] * w->p[at] : 0.0);
            }
        memcpy(rz, next, sizeof rz);
        locusi_panel_apply(o, w, w->p, w->a);
        locusi_panel_dot(w->p, w->a, p, pa);
        for (i = 0; i < p; i++)
            for (v = 0; v < LOCUSI_PANEL; v++) {
                const size_t at = i * LOCUSI_PANEL + v;
                const double length = pa[v] > 0.0 ? rz[v] / pa[v] : 0.0;
                w->x[at] += length * w->p[at];
                w->r[at] -= length * w->a[at];
            }
    }
}

LOCUSI_FN void locusi_resample_rows(void *arg, size_t worker)
{
    locusi_resample_job *job = (locusi_resample_job *)arg;
    const locusi_own *o = job->own;
    locusi_panel *w = &job->panels[worker];
    const size_t p = o->m.landmarks, n = o->n;
    const float weight = (float)(o->m.own / o->m.noise);
    size_t panel, i, c, v;
    w->mine = 0;
    while ((panel = locusi_next(&job->counter, worker, &w->mine)) < (job->versions + LOCUSI_PANEL - 1) / LOCUSI_PANEL) {
        const size_t first = panel * LOCUSI_PANEL;
        const size_t count = job->versions - first < LOCUSI_PANEL ? job->versions - first : LOCUSI_PANEL;
        double mu[LOCUSI_PANEL], sd[LOCUSI_PANEL];
        memset(w->weight, 0, n * LOCUSI_PANEL * sizeof(float));
        for (v = 0; v < count; v++) {
            const uint32_t *draw = job->draws->draws + (first + v) * job->draws->n;
            const size_t drawn = job->draws->drawn[first + v];
            double scores = 0.0, difficulties = 0.0, prior;
            for (i = 0; i < drawn; i++) {
                const size_t at = job->ordinal[draw[i]];
                w->weight[at * LOCUSI_PANEL + v] += weight;
                scores += o->score[at];
                difficulties += o->t[at];
            }
            prior = o->m.mean + job->noise * o->sd / sqrt(o->m.pull > 1.0 ? o->m.pull : 1.0) *
                                    locusi_draw_normal(job->seed, LOCUSI_DRAW_MEAN, first + v, 0);
            locusi_own_mean(&o->m, locusi_clamp(prior, 0.01, 0.99), (double)drawn, scores, difficulties, &mu[v],
                            &sd[v]);
        }
        for (v = count; v < LOCUSI_PANEL; v++) mu[v] = o->mu, sd[v] = o->sd;
        // the residual of the full solution, what its gradient is in this version
        for (i = 0; i < n; i++) {
            const float *phi = o->phi + i * p;
            double fitted = 0.0;
            for (c = 0; c < p; c++) fitted += (double)phi[c] * o->theta[c];
            for (v = 0; v < LOCUSI_PANEL; v++)
                w->u[i * LOCUSI_PANEL + v] =
                    w->weight[i * LOCUSI_PANEL + v] * (float)((o->score[i] - mu[v]) / sd[v] - o->t[i] - fitted);
        }
        locusi_product(o->r.k, o->phi, 1, p, p, n, w->u, LOCUSI_PANEL, 16, LOCUSI_PANEL, w->out, LOCUSI_PANEL, 0);
        for (c = 0; c < p; c++)
            for (v = 0; v < LOCUSI_PANEL; v++) {
                const size_t at = c * LOCUSI_PANEL + v;
                w->x[at] = o->theta[c];
                w->r[at] = (double)w->out[at] - o->theta[c];
                if (v < count)
                    w->r[at] +=
                        job->noise * sqrt(o->m.own) * locusi_draw_normal(job->seed, LOCUSI_DRAW_PRIOR, first + v, c);
            }
        locusi_panel_solve(o, w);
        for (v = 0; v < count; v++) {
            float *row = job->rows + (first + v) * p, *base = &job->base[first + v];
            for (c = 0; c < p; c++) w->z[c] = w->x[c * LOCUSI_PANEL + v];
            locusi_recall_weights(&o->m, w->z, w->a);
            if (locusi_own_row(o, w->a, mu[v], sd[v], row, base, NULL)) locusi_set_flag(&job->bad);
        }
    }
}

typedef struct locusi_resample { // all that one call works in
    locusi_job job;
    locusi_own own;
    locusi_resample_job rows;
    size_t *row, *order, *ordinal;
    float *z;
} locusi_resample;

LOCUSI_FN void locusi_resample_plan(locusi_resample *a, const locus_pool *pool, const locus_evals *evals,
                                    size_t versions, const locus_encode_opts *opts, locusi_carver *c)
{
    const size_t n = evals->queries.count, panels = (versions + LOCUSI_PANEL - 1) / LOCUSI_PANEL;
    size_t i;
    locusi_encode_plan(&a->job, pool->net, evals, versions, opts, locusi_workers(opts->parallel), LOCUS_ENCODE_FAST, c);
    a->row = (size_t *)locusi_carve(c, n, sizeof(size_t));
    a->order = (size_t *)locusi_carve(c, n, sizeof(size_t));
    a->ordinal = (size_t *)locusi_carve(c, n, sizeof(size_t));
    a->z = locusi_carve_floats(c, versions, pool->net->d);
    if (!pool->memory.landmarks) return;
    memset(&a->rows, 0, sizeof a->rows);
    locusi_own_carve(&a->own, &pool->memory, n, c);
    a->rows.versions = versions;
    a->rows.workers = locusi_workers(opts->parallel) < panels ? locusi_workers(opts->parallel) : panels;
    if (a->rows.workers > 64) a->rows.workers = 64;
    a->rows.rows = locusi_carve_floats(c, versions, pool->memory.landmarks);
    a->rows.base = locusi_carve_floats(c, versions, 1);
    a->rows.panels = (locusi_panel *)locusi_carve(c, a->rows.workers, sizeof(locusi_panel));
    for (i = 0; i < a->rows.workers; i++) {
        locusi_panel unused;
        locusi_panel_carve(c->base ? &a->rows.panels[i] : &unused, n, pool->memory.landmarks, c);
    }
}

// What resample and explain demand.
LOCUSI_FN locus_status locusi_check_own(const locus_pool *pool, const locus_evals *evals, locus_error *err)
{
    locus_status status;
    if (!pool || !evals)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", pool ? "evals" : "pool");
    if (!pool->net->info.has_encoder)
        return locusi_fail(err, LOCUS_ERR_NO_ENCODER, "net", "a file with the encoder", "the predictor alone");
    if (evals->scores.models != 1)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "evals->models", "1", "%z", evals->scores.models);
    if ((status = locusi_check_evals(pool->net, evals, err))) return status;
    return pool->memory.landmarks ? locusi_check_lengths(&pool->memory, &evals->queries, evals, err) : LOCUS_OK;
}

LOCUS_API locus_status locus_pool_resample(locus_pool **out, const locus_pool *pool, const locus_evals *evals,
                                           const locus_resample_opts *opts, locus_error *err)
{
    const size_t versions = opts && opts->count ? opts->count : 32;
    const int jackknife = opts && opts->jackknife;
    const uint64_t seed = opts ? opts->seed : 0;
    locus_encode_opts encode;
    locusi_resample a;
    locusi_carver c = {NULL, 0, 0};
    locus_pool *made = NULL;
    size_t n = 0, r, i, bytes;
    void *block = NULL;
    float y;
    locus_status status;
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    *out = NULL;
    if ((status = locusi_check_own(pool, evals, err))) return status;
    for (i = 0; i < evals->queries.count; i++) n += (size_t)locusi_score(evals, 0, i, &y);
    if (jackknife && (versions < 2 || versions > n))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "opts->count", "2 to %z groups of the evaluations", "%z", n,
                           versions);
    memset(&encode, 0, sizeof encode);
    memset(&a, 0, sizeof a);
    if (opts) encode.parallel = opts->parallel, encode.progress = opts->progress, encode.user = opts->user;
    if (versions >= UINT32_MAX) c.failed = 1;
    else locusi_resample_plan(&a, pool, evals, versions, &encode, &c);
    if (!c.failed && locusi_add(c.used, 64, &bytes)) block = LOCUS_MALLOC(bytes);
    if (!block) return locusi_fail(err, LOCUS_ERR_MEMORY, "versions", "room for %z", "none", versions);
    c.base = locusi_align(block);
    c.used = 0;
    locusi_resample_plan(&a, pool, evals, versions, &encode, &c);
    for (i = n = 0; i < evals->queries.count; i++)
        if (locusi_score(evals, 0, i, &y)) {
            a.ordinal[i] = n;
            a.row[n++] = i;
        }
    locusi_resample_draw(&a.job, a.row, n, versions, jackknife, seed, a.order);
    status = locusi_encode_prepare(&a.job, encode.parallel, err);
    if (!status) status = locusi_encode_passes(&a.job, encode.parallel, a.z, err);
    if (!status && pool->memory.landmarks && !(status = locusi_own_fit(&a.own, pool->net->kernels, evals, err))) {
        const double count = (double)versions;
        a.rows.own = &a.own;
        a.rows.draws = &a.job;
        a.rows.ordinal = a.ordinal;
        a.rows.seed = seed;
        a.rows.noise = jackknife ? sqrt(count) / (count - 1.0) : 1.0; // locus_interval_of multiplies it back
        a.rows.counter.workers = a.rows.workers;
        locusi_run(encode.parallel, locusi_resample_rows, &a.rows, a.rows.workers);
        if (a.rows.bad)
            status = locusi_fail(err, LOCUS_ERR_POOL, "memory", "sensible numbers", "others, as a part of them shows");
    }
    if (!status) status = locusi_pool_like(&made, pool, versions, err);
    for (r = 0; r < versions && !status; r++)
        status = locusi_pool_version(made, r, n, a.z + r * pool->net->d,
                                     pool->memory.landmarks ? a.rows.rows + r * pool->memory.landmarks : NULL,
                                     pool->memory.landmarks ? a.rows.base[r] : 0.0f, err);
    LOCUS_FREE(block);
    if (status) {
        locus_pool_destroy(made);
        return status;
    }
    *out = made;
    return LOCUS_OK;
}

// ----------------------------------------------------------------------------------------------------------- >>guard
//
// The highest of many noisy chances is too high (the winner's curse), so where one model leads by far, always taking it
// beats taking the likeliest. What the difference d of two chances is worth, the default's and the likeliest model's,
// is a matter of experience: the gain in score from changing is fitted as a + b d over the pool's own evaluations, each
// predicted without its fifth of the queries, a drawn to 0 and b to 1. The margin is where the gain is 0. Equal queries
// are in the same fifth.

#define LOCUSI_GUARD_PARTS ((size_t)5)
#define LOCUSI_GUARD_OFF 0.03  // prior deviation of a
#define LOCUSI_GUARD_SLOPE 0.5 // and of b

typedef struct locusi_guard_fit {
    double count, d, dd, gain, dgain, gaingain; // sums over queries where another model is likelier than the default
} locusi_guard_fit;

LOCUSI_FN double locusi_guard_margin(const locusi_guard_fit *f)
{
    const double count = f->count > 0.0 ? f->count : 1.0, mean = f->gain / count;
    const double spread = f->gaingain / count - mean * mean;
    const double v = spread > 0.05 ? spread : 0.05; // variance of a gain
    const double aa = f->count / v + 1.0 / (LOCUSI_GUARD_OFF * LOCUSI_GUARD_OFF), ab = f->d / v,
                 bb = f->dd / v + 1.0 / (LOCUSI_GUARD_SLOPE * LOCUSI_GUARD_SLOPE);
    const double ra = f->gain / v, rb = f->dgain / v + 1.0 / (LOCUSI_GUARD_SLOPE * LOCUSI_GUARD_SLOPE),
                 det = aa * bb - ab * ab;
    const double a = (bb * ra - ab * rb) / det, b = (aa * rb - ab * ra) / det;
    if (!(b > 0.05)) return 1.0;
    return a < 0.0 ? locusi_clamp(-a / b, 0.0, 1.0) : 0.0;
}

typedef struct locusi_guard_work {
    float *scores, *z, *logits, *rows; // [models, n], [models, d], [n, models], [n, q]
    unsigned char *part, *whole;       // [n]; [models] 1: has nothing outside this part, so is predicted from all
    size_t *order, *at;                // [models]; [n] rows of this part
} locusi_guard_work;

LOCUSI_FN void locusi_guard_carve(locusi_guard_work *w, const locus_evals *evals, size_t d, locusi_carver *c)
{
    const size_t n = evals->queries.count, models = evals->scores.models;
    w->scores = locusi_carve_floats(c, models, n);
    w->z = locusi_carve_floats(c, models, d);
    w->logits = locusi_carve_floats(c, n, models);
    w->rows = locusi_carve_floats(c, n, evals->queries.dim);
    w->part = (unsigned char *)locusi_carve(c, n, 1);
    w->whole = (unsigned char *)locusi_carve(c, models, 1);
    w->order = (size_t *)locusi_carve(c, models, sizeof(size_t));
    w->at = (size_t *)locusi_carve(c, n, sizeof(size_t));
}

// w->scores <- those outside a part.
LOCUSI_FN void locusi_guard_scores(const locus_evals *evals, size_t part, locusi_guard_work *w)
{
    const size_t n = evals->queries.count;
    size_t m, i;
    float y = 0.0f;
    for (m = 0; m < evals->scores.models; m++) {
        float *to = w->scores + m * n;
        w->whole[m] = 1;
        for (i = 0; i < n; i++) {
            const int has = w->part[i] != part && locusi_score(evals, m, i, &y);
            to[i] = has ? y : locusi_nan();
            if (has) w->whole[m] = 0;
        }
        for (i = 0; w->whole[m] && i < n; i++)
            if (locusi_score(evals, m, i, &y)) to[i] = y;
    }
}

// w->logits <- of one part's `count` queries, from the evaluations outside it.
LOCUSI_FN locus_status locusi_guard_part(const locus_pool *pool, const locus_evals *evals, size_t part, size_t count,
                                         const locus_queries *unlabelled, const locus_parallel *parallel,
                                         locusi_guard_work *w, locus_error *err)
{
    const size_t models = evals->scores.models, q = evals->queries.dim, d = pool->net->d;
    const size_t stride = evals->queries.stride ? evals->queries.stride : q;
    locus_evals rest = *evals;
    locus_encode_opts encode;
    locus_recall_opts memory;
    locus_queries asked;
    locus_pool *made = NULL;
    locus_status status;
    size_t i, m, bytes;
    void *work = NULL;
    memset(&encode, 0, sizeof encode);
    memset(&memory, 0, sizeof memory);
    memset(&asked, 0, sizeof asked);
    encode.parallel = parallel;
    locusi_guard_scores(evals, part, w);
    rest.scores.f32 = w->scores;
    rest.scores.u8 = rest.scores.mask = NULL;
    for (i = 0; i < count; i++)
        memcpy(w->rows + i * q, evals->queries.encodings + w->at[i] * stride, q * sizeof(float));
    asked.encodings = w->rows;
    asked.count = count;
    asked.dim = q;
    if ((status = locusi_pool_like(&made, pool, models, err))) return status;
    locus_pool_drop_recall(made);
    locus_pool_uncalibrate(made);
    for (m = 0; m < models; m++) memcpy(w->z + m * d, locus_pool_embedding(pool, m), d * sizeof(float));
    if (pool->net->info.has_encoder) {
        bytes = locus_encode_workspace(pool->net, &rest, &encode);
        if (!bytes || !(work = LOCUS_MALLOC(bytes)))
            status = locusi_fail(err, LOCUS_ERR_MEMORY, "guard", "%z bytes", "none", bytes);
        if (!status) status = locus_encode(pool->net, &rest, w->z, &encode, work, bytes, err);
        if (work) LOCUS_FREE(work);
        work = NULL;
    }
    for (m = 0; m < models && !status; m++) status = locusi_pool_version(made, m, 0, w->z + m * d, NULL, 0.0f, err);
    if (!status && pool->memory.landmarks) {
        memory.weight = (double)pool->memory.weight;
        if (unlabelled) memory.unlabelled = *unlabelled;
        status = locusi_pool_memorize(made, &rest, &memory, &pool->memory, err);
        if (!status) made->memory.weight = pool->memory.weight; // 0, too
    }
    if (!status) {
        bytes = locus_predict_workspace(made, count, parallel);
        if (!bytes || !(work = LOCUS_MALLOC(bytes)))
            status = locusi_fail(err, LOCUS_ERR_MEMORY, "guard", "%z bytes", "none", bytes);
        if (!status) status = locus_predict(made, &asked, w->logits, parallel, work, bytes, err);
        if (work) LOCUS_FREE(work);
    }
    locus_pool_destroy(made);
    return status;
}

// What changing from the leader would have brought on one part's queries.
LOCUSI_FN void locusi_guard_gains(const locus_evals *evals, size_t leader, size_t count, const locusi_guard_work *w,
                                  locusi_guard_fit *fit)
{
    size_t i, m;
    float y = 0.0f, kept = 0.0f;
    for (i = 0; i < count && !w->whole[leader]; i++) {
        const float *row = w->logits + i * evals->scores.models;
        size_t best = leader;
        double d, gain;
        if (!locusi_score(evals, leader, w->at[i], &kept)) continue;
        for (m = 0; m < evals->scores.models; m++)
            if (!w->whole[m] && row[m] > row[best] && locusi_score(evals, m, w->at[i], &y)) best = m;
        if (best == leader) continue;
        locusi_score(evals, best, w->at[i], &y);
        d = locus_probability((double)row[best]) - locus_probability((double)row[leader]);
        gain = (double)y - (double)kept;
        fit->count += 1.0;
        fit->d += d;
        fit->dd += d * d;
        fit->gain += gain;
        fit->dgain += d * gain;
        fit->gaingain += gain * gain;
    }
}

LOCUS_API locus_status locus_pool_learn_guard(locus_pool *pool, const locus_evals *evals,
                                              const locus_queries *unlabelled, const locus_parallel *parallel,
                                              locus_error *err)
{
    locusi_guard_work w;
    locusi_guard_fit fit;
    locus_scores scores;
    locusi_carver c = {NULL, 0, 0};
    size_t part, i, n, count, others, stride;
    void *block = NULL;
    locus_status status;
    if (!pool || !evals)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", pool ? "evals" : "pool");
    if ((status = locusi_check_evals(pool->net, evals, err))) return status;
    if (evals->scores.models != pool->count)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "evals->models", "%z, the pool's", "%z", pool->count,
                           evals->scores.models);
    n = evals->queries.count;
    stride = evals->queries.stride ? evals->queries.stride : evals->queries.dim;
    memset(&fit, 0, sizeof fit);
    memset(&scores, 0, sizeof scores);
    locusi_guard_carve(&w, evals, pool->net->d, &c);
    if (c.failed || !(block = LOCUS_MALLOC(c.used + 64)))
        return locusi_fail(err, LOCUS_ERR_MEMORY, "guard", "%z bytes", "none", c.used);
    c.base = locusi_align(block);
    c.used = 0;
    locusi_guard_carve(&w, evals, pool->net->d, &c);
    for (i = 0; i < n; i++) // a row that nobody has a score on may hold anything
        w.part[i] =
            locusi_scored(evals, i)
                ? (unsigned char)(locusi_encoding_hash(evals->queries.encodings + i * stride, evals->queries.dim) %
                                  LOCUSI_GUARD_PARTS)
                : 255;
    locusi_guard_scores(evals, 254, &w); // all
    scores.models = evals->scores.models;
    scores.count = n;
    scores.f32 = w.scores;
    status = locus_leaders(&scores, NULL, n, LOCUS_AMONG_SCORED, w.order, NULL, err);
    for (part = 0; part < LOCUSI_GUARD_PARTS && !status; part++) {
        for (i = count = others = 0; i < n; i++) {
            if (w.part[i] == part) w.at[count++] = i;
            else others += w.part[i] != 255;
        }
        if (!count || !others) continue;
        status = locusi_guard_part(pool, evals, part, count, unlabelled, parallel, &w, err);
        if (!status) locusi_guard_gains(evals, w.order[0], count, &w, &fit);
    }
    if (!status) status = locus_pool_set_guard(pool, w.order[0], locusi_guard_margin(&fit), err);
    LOCUS_FREE(block);
    return status;
}

// ------------------------------------------------------------------------------------------------------ >>duplicates

// Disagreements of two models are a sum of independent coins with chances d_q of their own, given what each is good at
// and how alike any two models err. Its distribution is built coin by coin, only up to the count observed: nothing is
// lost that could matter, because the final chance is a sum of products of which each factor is at least as large.

// Shared by the functions below: profiles are chances, scores 0, 1 or 255.
LOCUSI_FN locus_status locusi_check_answers(const float *p, const unsigned char *scores, size_t n, const char *who,
                                            locus_error *err)
{
    size_t i;
    for (i = 0; i < n; i++) {
        if (scores[i] == 255) continue;
        if (scores[i] > 1)
            return locusi_fail(err, LOCUS_ERR_SCORE, "scores of %s [%z]", "0, 1, or 255 for missing", "%d", who, i,
                               (int)scores[i]);
        if (!(p[i] >= 0.0f && p[i] <= 1.0f) || locusi_is_nan(p[i]))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "chances of %s [%z]", "0 to 1", "%f", who, i, (double)p[i]);
    }
    return LOCUS_OK;
}

LOCUS_API size_t locus_same_answers_workspace(size_t n)
{
    size_t bytes;
    return locusi_add(n, 9, &bytes) && locusi_mul(bytes, sizeof(double), &bytes) ? bytes : 0;
}

LOCUS_API locus_status locus_same_answers(const float *p_a, const float *p_b, const unsigned char *scores_a,
                                          const unsigned char *scores_b, size_t n, double correlation, double *p,
                                          size_t *shared, size_t *disagreements, void *work, size_t work_bytes,
                                          locus_error *err)
{
    const size_t bytes = locus_same_answers_workspace(n);
    size_t i, j, coins = 0, observed = 0, seen = 0;
    double *chance, sum = 0.0;
    locus_status status;
    if (!p || (n && (!p_a || !p_b || !scores_a || !scores_b)))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", !p ? "p" : "chances or scores");
    if (!locusi_within(correlation, -1.0, 1.0))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "correlation", "-1 to 1", "%f", correlation);
    if (!bytes) return locusi_fail(err, LOCUS_ERR_OVERFLOW, "n", "fewer queries", "%z", n);
    if (!work || work_bytes < bytes)
        return locusi_fail(err, LOCUS_ERR_MEMORY, "work", "%z bytes", "%z", bytes, work ? work_bytes : 0);
    if ((status = locusi_check_answers(p_a, scores_a, n, "a", err)) ||
        (status = locusi_check_answers(p_b, scores_b, n, "b", err)))
        return status;
    for (i = 0; i < n; i++) {
        if (scores_a[i] == 255 || scores_b[i] == 255) continue;
        coins++;
        observed += scores_a[i] != scores_b[i];
    }
    if (shared) *shared = coins;
    if (disagreements) *disagreements = observed;
    *p = 1.0;
    if (observed == coins) return LOCUS_OK;        // also where nothing is shared: no evidence
    chance = (double *)(void *)locusi_align(work); // chance[j]: of j disagreements so far
    for (j = 0; j <= observed; j++) chance[j] = 0.0;
    chance[0] = 1.0;
    for (i = 0; i < n; i++) {
        double d;
        if (scores_a[i] == 255 || scores_b[i] == 255) continue;
        d = locusi_disagreement((double)p_a[i], (double)p_b[i], correlation);
        seen++;
        for (j = seen < observed ? seen : observed; j > 0; j--) chance[j] += d * (chance[j - 1] - chance[j]);
        chance[0] -= d * chance[0];
    }
    for (j = 0; j <= observed; j++) sum += chance[j];
    *p = sum < 1.0 ? sum : 1.0;
    return LOCUS_OK;
}

LOCUS_API size_t locus_answer_correlation_workspace(size_t models)
{
    size_t bytes;
    return locusi_mul(models, models / 2 + 1, &bytes) && locusi_mul(bytes, sizeof(double), &bytes) &&
                   locusi_add(bytes, 64, &bytes)
               ? bytes
               : 0;
}

LOCUSI_FN int locusi_double_order(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

LOCUS_API locus_status locus_answer_correlation(const locus_points *profiles, const unsigned char *scores,
                                                double quantile, double *correlation, void *work, size_t work_bytes,
                                                locus_error *err)
{
    size_t a, b, i, n, stride, bytes, pairs = 0;
    double *list, sum = 0.0;
    locus_status status;
    if (!profiles || !correlation || (profiles->count && profiles->dim && (!profiles->rows || !scores)))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !profiles      ? "profiles"
                           : !correlation ? "correlation"
                                          : "rows or scores");
    n = profiles->dim;
    stride = profiles->stride ? profiles->stride : n;
    if (stride < n)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "profiles->stride", "0 or at least %z", "%z", n, stride);
    if (!locusi_within(quantile, 0.0, 1.0))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "quantile", "0 to 1", "%f", quantile);
    bytes = locus_answer_correlation_workspace(profiles->count);
    if (!bytes) return locusi_fail(err, LOCUS_ERR_OVERFLOW, "profiles->count", "fewer models", "%z", profiles->count);
    if (!work || work_bytes < bytes)
        return locusi_fail(err, LOCUS_ERR_MEMORY, "work", "%z bytes", "%z", bytes, work ? work_bytes : 0);
    for (a = 0; a < profiles->count; a++)
        if ((status = locusi_check_answers(profiles->rows + a * stride, scores + a * n, n, "a model", err)))
            return status;
    list = (double *)(void *)locusi_align(work);
    for (a = 0; a < profiles->count; a++)
        for (b = a + 1; b < profiles->count; b++) {
            const float *p = profiles->rows + a * stride, *q = profiles->rows + b * stride;
            const unsigned char *x = scores + a * n, *y = scores + b * n;
            double together = 0.0, scale = 0.0;
            for (i = 0; i < n; i++) {
                const double u = (double)p[i], v = (double)q[i];
                if (x[i] == 255 || y[i] == 255) continue;
                together += ((double)x[i] - u) * ((double)y[i] - v);
                scale += sqrt(u * (1.0 - u) * v * (1.0 - v));
            }
            if (!(scale > 0.0)) continue; // nothing in common, or all certain
            together /= scale;
            together = together < 1.0 ? together : 1.0;
            list[pairs] = together > -1.0 ? together : -1.0;
            sum += list[pairs++];
        }
    *correlation = 0.0;
    if (!pairs) return LOCUS_OK;
    if (quantile > 0.0) {
        const double at = quantile * (double)(pairs - 1);
        const size_t low = (size_t)at, high = low + 1 < pairs ? low + 1 : low;
        locusi_sort(list, pairs, sizeof *list, locusi_double_order);
        *correlation = list[low] + (at - (double)low) * (list[high] - list[low]);
    } else {
        *correlation = sum / (double)pairs;
    }
    return LOCUS_OK;
}

// Length of (a_r - a_0) - (b_s - b_0), or with r = s = 0 of a_0 - b_0; rows scaled by their scale first. By cosine this
// is the chord between unit vectors: distances are in the same order.
LOCUSI_FN double locusi_embedding_gap(const float *a, const float *a0, const float *b, const float *b0, size_t dim,
                                      const double scale[4])
{
    double sum = 0.0;
    size_t i;
    for (i = 0; i < dim; i++) {
        const double x = scale[0] * (double)a[i] - scale[1] * (double)a0[i];
        const double y = scale[2] * (double)b[i] - scale[3] * (double)b0[i];
        sum += (x - y) * (x - y);
    }
    return sum;
}

LOCUSI_FN double locusi_unit_scale(const float *row, size_t dim, locus_metric metric)
{
    double square = 0.0;
    size_t i;
    if (metric != LOCUS_COSINE) return 1.0;
    for (i = 0; i < dim; i++) square += (double)row[i] * (double)row[i];
    return square > 0.0 ? 1.0 / sqrt(square) : 0.0;
}

LOCUS_API locus_status locus_same_embedding(const locus_points *a, const locus_points *b, locus_metric metric,
                                            double *p, locus_error *err)
{
    size_t r, s, i, k, dim, far = 0, stride[2];
    double observed, scale[4];
    const locus_points *set[2];
    if (!a || !b || !p || !a->rows || !b->rows)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", !p ? "p" : "a, b or their rows");
    if (metric != LOCUS_COSINE && metric != LOCUS_EUCLIDEAN)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "metric", "cosine or euclidean", "%d", (int)metric);
    if (a->dim != b->dim || a->dim == 0)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "b->dim", "%z, as of a, above 0", "%z", a->dim, b->dim);
    set[0] = a;
    set[1] = b;
    dim = a->dim;
    for (k = 0; k < 2; k++) {
        stride[k] = set[k]->stride ? set[k]->stride : dim;
        if (set[k]->count < 2 || stride[k] < dim)
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "at least 2 rows, stride 0 or at least %z",
                               "%z rows, stride %z", k ? "b" : "a", dim, set[k]->count, stride[k]);
        for (r = 0; r < set[k]->count; r++)
            for (i = 0; i < dim; i++)
                if (!locusi_finite(set[k]->rows[r * stride[k] + i]))
                    return locusi_fail(err, LOCUS_ERR_NONFINITE, "%s[%z, %z]", "a finite number", "%f", k ? "b" : "a",
                                       r, i, (double)set[k]->rows[r * stride[k] + i]);
    }
    scale[1] = locusi_unit_scale(a->rows, dim, metric);
    scale[3] = locusi_unit_scale(b->rows, dim, metric);
    {
        const double both[4] = {scale[1], 0.0, scale[3], 0.0};
        observed = locusi_embedding_gap(a->rows, a->rows, b->rows, b->rows, dim, both);
    }
    for (r = 1; r < a->count; r++) {
        scale[0] = locusi_unit_scale(a->rows + r * stride[0], dim, metric);
        for (s = 1; s < b->count; s++) {
            scale[2] = locusi_unit_scale(b->rows + s * stride[1], dim, metric);
            far += locusi_embedding_gap(a->rows + r * stride[0], a->rows, b->rows + s * stride[1], b->rows, dim,
                                        scale) >= observed;
        }
    }
    *p = (1.0 + (double)far) / (1.0 + (double)(a->count - 1) * (double)(b->count - 1));
    return LOCUS_OK;
}

// A bet on x in [0, 1], which the hypothesis says has a mean of at most e: the stake is multiplied by (1 + c x) / (1 +
// c e). That is above 0 for every x, its mean is at most 1, and for answers 0 or 1 it is the likelihood ratio of odds
// (1 + c) times as high. x is the score, its opposite, or whichever the forecast thought less likely; e the forecast's
// mean of it plus the tolerance; c one of six: 18 bets.
//
// The stake does not start all at once: half of it before the first answer, 1 / (2 t (t + 1)) of it before the answer
// after t others. Else a swap after a long good time would first have to win back what the good time lost.

LOCUS_API double locus_watch_add(locus_watch *watch, double expected, double score)
{
    static const double odds[6] = {0.25, 0.5, 1.0, 2.0, 4.0, 8.0};
    double tolerance, top, sum = 0.0, t, entering;
    size_t k;
    if (!watch) return 1.0;
    if (locusi_within(expected, 0.0, 1.0) && locusi_within(score, 0.0, 1.0)) {
        tolerance = locusi_within(watch->tolerance, 0.0, 1.0) && watch->tolerance > 0.0 && watch->tolerance < 1.0
                        ? watch->tolerance
                        : 0.02;
        t = (double)watch->answers;
        entering = watch->answers ? log(0.5 / (t * (t + 1.0))) : log(0.5);
        for (k = 0; k < 18; k++) {
            const int up = k < 6 || (k >= 12 && expected < 0.5);
            const double x = up ? score : 1.0 - score, c = odds[k % 6];
            double e = (up ? expected : 1.0 - expected) + tolerance, *bet = &watch->log_bets[k];
            e = e < 1.0 ? e : 1.0;
            if (watch->answers == 0) {
                *bet = entering;
            } else {
                const double high = *bet > entering ? *bet : entering, low = *bet > entering ? entering : *bet;
                *bet = high + log1p(exp(low - high));
            }
            *bet += log1p(c * x) - log1p(c * e);
        }
        watch->answers++;
    }
    if (watch->answers == 0) return 1.0;
    top = watch->log_bets[0];
    for (k = 1; k < 18; k++) top = watch->log_bets[k] > top ? watch->log_bets[k] : top;
    for (k = 0; k < 18; k++) sum += exp(watch->log_bets[k] - top);
    top += log(sum / 18.0);
    return exp(top < 700.0 ? top : 700.0) + 0.5 / ((double)watch->answers); // what has not entered yet is kept
}

// ------------------------------------------------------------------------------------------------------------ >>next
//
// The pool as prior. A new model's logit on query i is offset_i + x_i . own, own ~ N(0, 1) before anything is known:
// x_i holds the landmarks' kernels as features whose prior is the identity, times their deviation among models (see
// >>recall), and in one more column slope_i times the deviation of the models' abilities, so that one entry of `own` is
// the ability. The posterior is taken as normal about its mode. The next query is the one whose answer is expected to
// take most off the mean squared error of the chances on all queries given (experimental design's I- or V-optimality;
// in item response theory, computerised adaptive testing): close to queries that are many, not yet known, and neither
// hopeless nor trivial for this model. A batch is chosen one by one, each as if those before had been answered: that is
// its diversity.

typedef struct locusi_study {
    locusi_recall m; // with what learning needs of its own
    const locusi_kernels *k;
    size_t n, p;    // rows of the evaluations; columns: landmarks, the ability, pads of 0
    float *x;       // [n, p]
    double *offset; // [n]
    double *score;  // [n] negative: not asked
    double *own;    // [p]
    double *chance; // [n]
    float *w;       // [n] curvatures, 0 where not asked
    float *scaled;  // [n, p] w x; at least [p, p]: scratch for the design
    float *normal;  // [p, p]
    double *factor; // [p, p]
    void *block;
} locusi_study;

#define LOCUSI_STUDY_COLUMNS (LOCUSI_RECALL_LANDMARKS + 16)
#define LOCUSI_ENOUGH 0.01 // of what evaluations could still take off the squared error: less does not pay

LOCUSI_FN locus_status locusi_study_open(locusi_study *s, const locusi_recall *memory, const locusi_kernels *k,
                                         const locus_evals *e, locus_error *err)
{
    const size_t landmarks = memory->landmarks, p = landmarks + 16, n = e->queries.count;
    const size_t stride = e->queries.stride ? e->queries.stride : e->queries.dim;
    const double deviation = locusi_deviation(memory->mean), scale = sqrt(memory->own) / deviation;
    const double centre = memory->spread > 0.0 ? memory->ability : log(memory->mean / (1.0 - memory->mean));
    const double spread = memory->spread > 0.0 ? memory->spread : 0.6;
    size_t i, c;
    float *x, *kernels, y = 0.0f;
    int attempt;
    locusi_carver carver = {NULL, 0, 0};
    memset(s, 0, sizeof *s);
    s->m = *memory;
    s->k = k;
    s->n = n;
    s->p = p;
    for (attempt = 0; attempt < 2; attempt++) {
        carver.used = 0;
        s->m.landmark = locusi_carve_floats(&carver, landmarks, memory->rank); // packed anew: others may use the pool's
        s->m.half = locusi_carve_floats(&carver, landmarks, 1);
        locusi_recall_carve_learning(&s->m, &carver);
        x = locusi_carve_floats(&carver, n, memory->rank);
        kernels = locusi_carve_floats(&carver, n, landmarks);
        s->x = locusi_carve_floats(&carver, n, p);
        s->w = locusi_carve_floats(&carver, n, 1);
        s->scaled = locusi_carve_floats(&carver, locusi_max(n, p), p);
        s->normal = locusi_carve_floats(&carver, p, p);
        s->factor = (double *)locusi_carve(&carver, p * p, sizeof(double));
        s->offset = (double *)locusi_carve(&carver, n, sizeof(double));
        s->score = (double *)locusi_carve(&carver, n, sizeof(double));
        s->chance = (double *)locusi_carve(&carver, n, sizeof(double));
        s->own = (double *)locusi_carve(&carver, p, sizeof(double));
        if (attempt) break;
        if (carver.failed || !(s->block = LOCUS_MALLOC(carver.used + 64)))
            return locusi_fail(err, LOCUS_ERR_MEMORY, "memory", "%z bytes", "none", carver.used);
        memset(s->block, 0, carver.used + 64);
        carver.base = locusi_align(s->block);
    }
    if (!locusi_recall_prepare(&s->m, k) || !locusi_recall_specialise(&s->m)) { // a file may hold anything
        LOCUS_FREE(s->block);
        return locusi_fail(err, LOCUS_ERR_POOL, "memory.landmarks", "sensible numbers", "others");
    }
    locusi_recall_kernels(&s->m, k, e->queries.encodings, stride, n, x, kernels);
    locusi_matmul_run(k, kernels, landmarks, n, landmarks, s->m.features, landmarks, s->x, p, NULL, NULL, 0, 0);
    for (i = 0; i < n; i++) {
        const size_t place = locusi_recall_place(&s->m, e->queries.encodings + i * stride);
        double slope = 1.0, intercept = 0.0;
        if (place != SIZE_MAX && memory->spread > 0.0) {
            slope = locusi_clamp((double)s->m.items[2 * place], 0.05, 20.0); // a file may say anything
            intercept = (double)s->m.items[2 * place + 1];
        } else if (place != SIZE_MAX) {
            intercept = (double)s->m.difficulty[place] / deviation;
        } else {
            for (c = 0; c < landmarks; c++)
                intercept += (double)s->m.shared[c] * (double)kernels[i * landmarks + c] / deviation;
        }
        s->score[i] = locusi_score(e, 0, i, &y) ? (double)y : -1.0;
        s->offset[i] = locusi_clamp(intercept, -30.0, 30.0) + slope * centre;
        for (c = 0; c < landmarks; c++) s->x[i * p + c] *= (float)scale;
        s->x[i * p + landmarks] = (float)(slope * spread);
    }
    return LOCUS_OK;
}

// x' diag(w) x into `normal`
LOCUSI_FN void locusi_study_normal(locusi_study *s, const float *w)
{
    size_t i;
    memset(s->scaled, 0, s->n * s->p * sizeof(float));
    for (i = 0; i < s->n; i++)
        if (w[i] > 0.0f) s->k->axpy(w[i], s->x + i * s->p, s->scaled + i * s->p, s->p);
    locusi_product(s->k, s->scaled, 1, s->p, s->p, s->n, s->x, s->p, 16, s->p, s->normal, s->p, 0);
}

// factor <- of the precision, the asked rows having these curvatures
LOCUSI_FN void locusi_study_factor(locusi_study *s)
{
    size_t i;
    locusi_study_normal(s, s->w);
    for (i = 0; i < s->p * s->p; i++) s->factor[i] = (double)s->normal[i] + (i % (s->p + 1) ? 0.0 : 1.0);
    locusi_cholesky(s->factor, s->p); // at least 1: cannot fail but for absurd input, which gives NaN and is seen later
}

// chance <- at `own`; returns the log of the posterior there.
LOCUSI_FN double locusi_study_chances(locusi_study *s)
{
    double posterior = 0.0;
    size_t i, c;
    for (c = 0; c < s->p; c++) posterior -= 0.5 * s->own[c] * s->own[c];
    for (i = 0; i < s->n; i++) {
        double logit = s->offset[i];
        for (c = 0; c < s->p; c++) logit += s->own[c] * (double)s->x[i * s->p + c];
        s->chance[i] = locus_probability(logit);
        if (s->score[i] >= 0.0)
            posterior += s->score[i] * logit - (logit > 0.0 ? logit : 0.0) - log(1.0 + exp(-fabs(logit)));
    }
    return posterior;
}

// own, chance <- at the posterior's mode; factor <- of the posterior's precision there.
LOCUSI_FN void locusi_study_fit(locusi_study *s)
{
    double step[LOCUSI_STUDY_COLUMNS], posterior;
    size_t i, c, round, halved;
    memset(s->own, 0, s->p * sizeof(double));
    posterior = locusi_study_chances(s);
    for (round = 0; round < 60; round++) {
        double moved = 0.0, size = 1e-12, before = posterior;
        // One factor serves the first 20 steps: its curvature lies between the one at the start and the bound 1/4, so
        // none goes too far. Where that is slow, as for a model that is right nearly always, Newton's own comes next.
        if (round == 0 || (round >= 20 && round % 5 == 0)) {
            for (i = 0; i < s->n; i++) {
                const double curve = s->chance[i] * (1.0 - s->chance[i]);
                s->w[i] = s->score[i] < 0.0 ? 0.0f : (float)(round ? curve : 0.125 + 0.5 * curve);
            }
            locusi_study_factor(s);
        }
        for (c = 0; c < s->p; c++) step[c] = -s->own[c];
        for (i = 0; i < s->n; i++) {
            const double rest = s->score[i] - s->chance[i];
            if (s->score[i] < 0.0) continue;
            for (c = 0; c < s->p; c++) step[c] += rest * (double)s->x[i * s->p + c];
        }
        locusi_solve_lower(s->factor, s->p, step);
        locusi_solve_upper(s->factor, s->p, step);
        for (c = 0; c < s->p; c++) s->own[c] += step[c];
        posterior = locusi_study_chances(s);
        for (halved = 0; halved < 30 && posterior < before - 1e-9 * (1.0 + fabs(before)); halved++) {
            for (c = 0; c < s->p; c++) s->own[c] -= step[c] *= 0.5;
            posterior = locusi_study_chances(s);
        }
        for (c = 0; c < s->p; c++) {
            moved += step[c] * step[c];
            size += s->own[c] * s->own[c];
        }
        if (!(moved > 1e-10 * size)) break;
    }
    for (i = 0; i < s->n; i++) s->w[i] = s->score[i] < 0.0 ? 0.0f : (float)(s->chance[i] * (1.0 - s->chance[i]));
    locusi_study_factor(s);
}

LOCUSI_FN locus_status locusi_check_study(const locus_pool *pool, const locus_evals *e, locus_error *err)
{
    locus_status status = locusi_check_queries(pool->net, &e->queries, err);
    if (status) return status;
    if (!pool->memory.landmarks)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "pool", "a pool with a recall (locus_pool_learn_recall)",
                           "one without");
    if ((status = locusi_check_scores(&e->scores, 1, e->queries.count, err))) return status;
    if (e->queries.count == 0) return locusi_fail(err, LOCUS_ERR_NO_CANDIDATE, "evals", "at least one query", "none");
    return locusi_check_lengths(&pool->memory, &e->queries, NULL, err);
}

LOCUSI_FN size_t locusi_common_factor(size_t a, size_t b)
{
    while (b) {
        const size_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

LOCUS_API locus_status locus_complete_evaluations(const locus_pool *pool, const locus_evals *evals, float *chances,
                                                  unsigned char *answers, locus_error *err)
{
    locusi_study s;
    locus_status status;
    double carry = 0.0;
    size_t i, step, at = 0;
    if (!pool || !evals || !chances)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !pool    ? "pool"
                           : !evals ? "evals"
                                    : "chances");
    if ((status = locusi_check_study(pool, evals, err)) ||
        (status = locusi_study_open(&s, &pool->memory, pool->net->kernels, evals, err)))
        return status;
    locusi_study_fit(&s);
    for (i = 0; i < s.n && !status; i++) {
        chances[i] = (float)(s.score[i] < 0.0 ? s.chance[i] : s.score[i]);
        if (!locusi_finite(chances[i]))
            status = locusi_fail(err, LOCUS_ERR_POOL, "memory", "sensible numbers", "others, as a chance shows");
    }
    // What rounding leaves is carried to the next row, in an order that follows no order of the table: the golden
    // section's steps, or the next whole number without a common factor.
    for (step = (size_t)((double)s.n * 0.6180339887498949) | 1; locusi_common_factor(step, s.n) > 1; step += 2) {}
    for (i = 0; answers && !status && i < s.n; i++, at = (at + step) % s.n) {
        carry += (double)chances[at];
        answers[at] = carry >= 0.5;
        carry -= (double)answers[at];
    }
    LOCUS_FREE(s.block);
    return status;
}

typedef struct locusi_design { // what the next answer may teach
    size_t n, p, taken;        // taken: picks so far, each as if it were answered
    float *inverse;            // [p, p] of the precision before them
    float *taught;             // [p, p] x' diag(importance of an error) x
    float *gain;               // [n, p], scratch
    double *variance;          // [n] of the logits
    double *removed;           // [n] what knowing the logit exactly would take off the weighted squared error
    double *v, *rate;          // [batch, p], [batch] the precision's inverse is now inverse - sum rate v v'
    double *u, *bv, *importance;
} locusi_design;

// y <- the inverse now, times x
LOCUSI_FN void locusi_design_apply(const locusi_design *d, const double *x, double *y)
{
    size_t i, c;
    for (i = 0; i < d->p; i++) {
        y[i] = 0.0;
        for (c = 0; c < d->p; c++) y[i] += (double)d->inverse[i * d->p + c] * x[c];
    }
    for (i = 0; i < d->taken; i++) {
        const double *v = d->v + i * d->p;
        double dot = 0.0;
        for (c = 0; c < d->p; c++) dot += v[c] * x[c];
        for (c = 0; c < d->p; c++) y[c] -= d->rate[i] * dot * v[c];
    }
}

// Row `at` counts as answered from here on.
LOCUSI_FN void locusi_design_take(locusi_design *d, const locusi_study *s, size_t at)
{
    const double b = s->chance[at] * (1.0 - s->chance[at]), rate = 1.0 / (1.0 / b + d->variance[at]);
    double *v = d->v + d->taken * d->p, size = 0.0;
    size_t i, c;
    for (c = 0; c < d->p; c++) d->bv[c] = (double)s->x[at * d->p + c];
    locusi_design_apply(d, d->bv, v);
    for (i = 0; i < d->p; i++) {
        d->bv[i] = 0.0;
        for (c = 0; c < d->p; c++) d->bv[i] += (double)d->taught[i * d->p + c] * v[c];
        size += d->bv[i] * v[i];
    }
    locusi_design_apply(d, d->bv, d->u);
    for (i = 0; i < d->n; i++) {
        const float *x = s->x + i * d->p;
        double xv = 0.0, xu = 0.0;
        for (c = 0; c < d->p; c++) xv += (double)x[c] * v[c], xu += (double)x[c] * d->u[c];
        d->removed[i] -= 2.0 * rate * xv * xu - rate * rate * size * xv * xv;
        d->variance[i] -= rate * xv * xv;
    }
    d->rate[d->taken++] = rate;
}

// What an answer to row i is expected to take off the weighted squared error.
LOCUSI_FN double locusi_design_gain(const locusi_design *d, const locusi_study *s, size_t i)
{
    const double b = s->chance[i] * (1.0 - s->chance[i]);
    return d->removed[i] / (1.0 / (b > 1e-9 ? b : 1e-9) + d->variance[i]);
}

// importance [n] <- of an error on each query: 1, or the chance that the new model would be the pool's best there.
LOCUSI_FN locus_status locusi_design_importance(locusi_design *d, const locusi_study *s, const locus_pool *pool,
                                                const locus_queries *queries, const locus_next_opts *o,
                                                locus_error *err)
{
    size_t i, m, bytes, count;
    float *logits;
    unsigned char *work;
    locus_queries part = *queries;
    locus_status status = LOCUS_OK;
    for (i = 0; i < d->n; i++) d->importance[i] = 1.0;
    if (!o->for_routing || pool->count == 0) return LOCUS_OK;
    part.stride = queries->stride ? queries->stride : queries->dim;
    count = d->n < LOCUSI_QUERY_TILE ? d->n : LOCUSI_QUERY_TILE;
    bytes = locus_predict_workspace(pool, count, NULL);
    logits = (float *)LOCUS_MALLOC(count * pool->count * sizeof(float) + bytes);
    if (!logits) return locusi_fail(err, LOCUS_ERR_MEMORY, "logits", "%z models", "no memory", pool->count);
    work = (unsigned char *)(logits + count * pool->count);
    for (i = 0; i < d->n && !status; i += part.count) {
        size_t j;
        part.encodings = queries->encodings + i * part.stride;
        part.count = d->n - i < count ? d->n - i : count;
        status = locus_predict(pool, &part, logits, NULL, work, bytes, err);
        for (j = 0; j < part.count && !status; j++) {
            const double p = s->chance[i + j], b = p * (1.0 - p);
            double best = 0.0, z;
            for (m = 0; m < pool->count; m++) {
                const double other = locus_probability((double)logits[j * pool->count + m]);
                if (pool->models[m].available && other > best) best = other;
            }
            z = (p - best) / sqrt(b * b * d->variance[i + j] + 0.01); // predictions of the others are no truth either
            d->importance[i + j] = 0.5 * erfc(-z / sqrt(2.0));
        }
    }
    LOCUS_FREE(logits);
    return status;
}

LOCUS_API locus_status locus_next_evaluations(const locus_pool *pool, const locus_evals *evals,
                                              const locus_next_opts *opts, size_t *picks, locus_next *out,
                                              locus_error *err)
{
    locus_next_opts o;
    locusi_study s;
    locusi_design d;
    locusi_carver carver = {NULL, 0, 0};
    size_t batch, i, c, n, p, left = 0;
    double mean = 0.0, variance = 0.0, squares = 0.0, weights = 0.0, open = 0.0;
    void *block = NULL;
    int attempt;
    locus_status status;
    memset(&o, 0, sizeof o);
    if (opts) o = *opts;
    batch = o.batch ? o.batch : 1;
    if (!pool || !evals || !picks || !out)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !pool    ? "pool"
                           : !evals ? "evals"
                           : !picks ? "picks"
                                    : "out");
    memset(out, 0, sizeof *out);
    if ((status = locusi_check_study(pool, evals, err)) ||
        (status = locusi_study_open(&s, &pool->memory, pool->net->kernels, evals, err)))
        return status;
    n = s.n, p = s.p;
    if (batch > n) batch = n;
    memset(&d, 0, sizeof d);
    d.n = n, d.p = p;
    for (attempt = 0; attempt < 2; attempt++) {
        carver.used = 0;
        d.inverse = locusi_carve_floats(&carver, p, p);
        d.taught = locusi_carve_floats(&carver, p, p);
        d.gain = locusi_carve_floats(&carver, n, p);
        d.variance = (double *)locusi_carve(&carver, n, sizeof(double));
        d.removed = (double *)locusi_carve(&carver, n, sizeof(double));
        d.importance = (double *)locusi_carve(&carver, n, sizeof(double));
        d.v = (double *)locusi_carve(&carver, batch * p, sizeof(double));
        d.rate = (double *)locusi_carve(&carver, batch, sizeof(double));
        d.u = (double *)locusi_carve(&carver, p, sizeof(double));
        d.bv = (double *)locusi_carve(&carver, p, sizeof(double));
        if (attempt) break;
        if (carver.failed || !(block = LOCUS_MALLOC(carver.used + 64))) {
            LOCUS_FREE(s.block);
            return locusi_fail(err, LOCUS_ERR_MEMORY, "design", "%z bytes", "none", carver.used);
        }
        memset(block, 0, carver.used + 64);
        carver.base = locusi_align(block);
    }
    locusi_study_fit(&s);
    for (i = 0; i < p; i++) { // the inverse, row by row
        memset(d.u, 0, p * sizeof(double));
        d.u[i] = 1.0;
        locusi_solve_lower(s.factor, p, d.u);
        locusi_solve_upper(s.factor, p, d.u);
        for (c = 0; c < p; c++) d.inverse[i * p + c] = (float)d.u[c];
    }
    locusi_product(s.k, s.x, p, 1, n, p, d.inverse, p, 16, p, d.gain, p, 0);
    for (i = 0; i < n; i++) {
        const double b = s.chance[i] * (1.0 - s.chance[i]);
        for (c = 0; c < p; c++) d.variance[i] += (double)d.gain[i * p + c] * (double)s.x[i * p + c];
        squares += b * b * d.variance[i] / (double)n;
    }
    status = locusi_design_importance(&d, &s, pool, &evals->queries, &o, err);
    for (i = 0; i < n; i++) {
        const double b = s.chance[i] * (1.0 - s.chance[i]);
        s.w[i] = (float)(d.importance[i] * b * b);
        weights += d.importance[i];
        open += d.importance[i] * b * b * d.variance[i];
    }
    locusi_study_normal(&s, s.w); // then inverse . normal . inverse, so that removed = x . that . x
    memcpy(d.taught, s.normal, p * p * sizeof(float));
    locusi_product(s.k, d.inverse, p, 1, p, p, d.taught, p, 16, p, s.scaled, p, 0);
    locusi_product(s.k, s.scaled, p, 1, p, p, d.inverse, p, 16, p, s.normal, p, 0);
    locusi_product(s.k, s.x, p, 1, n, p, s.normal, p, 16, p, d.gain, p, 0);
    for (i = 0; i < n; i++)
        for (c = 0; c < p; c++) d.removed[i] += (double)d.gain[i * p + c] * (double)s.x[i * p + c];
    memset(d.u, 0, p * sizeof(double));
    for (i = 0; i < n; i++) { // accuracy over the queries: what was asked is known
        const double b = s.chance[i] * (1.0 - s.chance[i]);
        mean += (s.score[i] < 0.0 ? s.chance[i] : s.score[i]) / (double)n;
        if (s.score[i] >= 0.0) continue;
        variance += b / ((double)n * (double)n);
        for (c = 0; c < p; c++) d.u[c] += b * (double)s.x[i * p + c] / (double)n;
    }
    locusi_design_apply(&d, d.u, d.bv);
    for (c = 0; c < p; c++) variance += d.u[c] * d.bv[c];
    out->accuracy.value = mean;
    out->accuracy.low = locusi_clamp(mean - 1.6449 * sqrt(variance), 0.0, 1.0);
    out->accuracy.high = locusi_clamp(mean + 1.6449 * sqrt(variance), 0.0, 1.0);
    out->error = sqrt(squares);
    for (i = 0; i < n; i++) left += (size_t)(s.score[i] < 0.0 && (!o.available || o.available[i]));
    if (!status && !(locusi_within(mean, 0.0, 1.0) && locusi_within(variance, 0.0, DBL_MAX)))
        status = locusi_fail(err, LOCUS_ERR_POOL, "memory", "sensible numbers", "others, as a score shows");
    if (!status && !left)
        status = locusi_fail(err, LOCUS_ERR_NO_CANDIDATE, "evals", "a query that may be asked", "none of %z", n);
    while (!status && out->count < batch && out->count < left) {
        size_t best = SIZE_MAX;
        double most = -DBL_MAX;
        for (i = 0; i < n; i++) {
            double gain;
            if (s.score[i] >= 0.0 || (o.available && !o.available[i])) continue;
            gain = locusi_design_gain(&d, &s, i);
            if (gain > most || best == SIZE_MAX) most = gain, best = i;
        }
        out->gain += most / (weights > 0.0 ? weights : 1.0);
        if (out->count == 0) out->enough = most < LOCUSI_ENOUGH * open;
        locusi_design_take(&d, &s, best);
        s.score[best] = 0.5; // not again
        picks[out->count++] = best;
    }
    LOCUS_FREE(block);
    LOCUS_FREE(s.block);
    return status;
}

// --------------------------------------------------------------------------------------------------------- >>explain
//
// Leave-one-out: every candidate is taken out by itself, the model embedded anew from the others, over the one table of
// all; the memory's part follows from the one factor by the rank-one update of Sherman and Morrison (1950).

#define LOCUSI_LEFT_OUT ((size_t)32) // versions at a time

typedef struct locusi_similar {
    float similarity;
    size_t row;
} locusi_similar;

LOCUSI_FN int locusi_similar_order(const void *a, const void *b)
{
    const locusi_similar *x = (const locusi_similar *)a, *y = (const locusi_similar *)b;
    if (x->similarity > y->similarity || x->similarity < y->similarity) return x->similarity < y->similarity ? 1 : -1;
    return x->row < y->row ? -1 : x->row > y->row;
}

LOCUSI_FN int locusi_reason_order(const void *a, const void *b)
{
    const locus_reason *x = (const locus_reason *)a, *y = (const locus_reason *)b;
    const double p = fabs(x->influence), q = fabs(y->influence);
    if (p > q || p < q) return p < q ? 1 : -1;
    return x->evaluation < y->evaluation ? -1 : x->evaluation > y->evaluation;
}

typedef struct locusi_explainer {
    locusi_job job;
    locusi_own own;
    double *of_score, *of_one, *of_t; // [landmarks] the full factor's solutions for score, 1 and t
    double *v, *u, *ones;             // [landmarks], [landmarks], [n]
    float *row, *z, *base;            // [LEFT_OUT, landmarks], [LEFT_OUT, d], [LEFT_OUT]
    float *logits;                    // [LEFT_OUT]
    size_t *ordinal;                  // [n]
    locusi_similar *similar;          // [n]
    locus_reason *reason;             // [candidates]
    unsigned char *work;
    size_t work_bytes;
} locusi_explainer;

LOCUSI_FN void locusi_explain_plan(locusi_explainer *a, const locus_pool *pool, const locus_evals *evals,
                                   const locus_encode_opts *opts, size_t candidates, size_t work_bytes,
                                   locusi_carver *c)
{
    const size_t n = evals->queries.count, p = pool->memory.landmarks;
    locusi_encode_plan(&a->job, pool->net, evals, LOCUSI_LEFT_OUT, opts, locusi_workers(opts->parallel),
                       LOCUS_ENCODE_FAST, c);
    a->z = locusi_carve_floats(c, LOCUSI_LEFT_OUT, pool->net->d);
    a->base = locusi_carve_floats(c, LOCUSI_LEFT_OUT, 1);
    a->logits = locusi_carve_floats(c, locusi_max(LOCUSI_LEFT_OUT, pool->count), 1);
    a->ordinal = (size_t *)locusi_carve(c, n, sizeof(size_t));
    a->similar = (locusi_similar *)locusi_carve(c, n, sizeof(locusi_similar));
    a->reason = (locus_reason *)locusi_carve(c, candidates, sizeof(locus_reason));
    a->work = (unsigned char *)locusi_carve(c, work_bytes, 1);
    a->work_bytes = work_bytes;
    if (!p) return;
    locusi_own_carve(&a->own, &pool->memory, n, c);
    a->of_score = (double *)locusi_carve(c, p, sizeof(double));
    a->of_one = (double *)locusi_carve(c, p, sizeof(double));
    a->of_t = (double *)locusi_carve(c, p, sizeof(double));
    a->v = (double *)locusi_carve(c, p, sizeof(double));
    a->u = (double *)locusi_carve(c, p, sizeof(double));
    a->ones = (double *)locusi_carve(c, n, sizeof(double));
    a->row = locusi_carve_floats(c, LOCUSI_LEFT_OUT, p);
}

// The memory's row and base without evaluation `at`.
LOCUSI_FN locus_status locusi_explain_without(locusi_explainer *a, size_t at, float *row, float *base, locus_error *err)
{
    const locusi_own *o = &a->own;
    const size_t p = o->m.landmarks;
    const float *phi = o->phi + at * p;
    const double w = (double)o->w[at];
    double mu, sd, difference, along = 0.0, length = 0.0;
    size_t c;
    locusi_own_mean(&o->m, o->m.mean, (double)(o->n - 1), o->scores - o->score[at], o->difficulties - o->t[at], &mu,
                    &sd);
    difference = (o->score[at] - mu) / sd - o->t[at];
    for (c = 0; c < p; c++) a->u[c] = (double)phi[c];
    locusi_solve_lower(o->r.factor, p, a->u);
    locusi_solve_upper(o->r.factor, p, a->u);
    for (c = 0; c < p; c++) {
        a->v[c] = (a->of_score[c] - mu * a->of_one[c]) / sd - a->of_t[c] - w * difference * a->u[c];
        along += (double)phi[c] * a->v[c];
        length += (double)phi[c] * a->u[c];
    }
    for (c = 0; c < p; c++) a->v[c] += w * along / (1.0 - w * length) * a->u[c];
    locusi_recall_weights(&o->m, a->v, a->u);
    return locusi_own_row(o, a->u, mu, sd, row, base, err);
}

// Chances of the query for models that are the pool's `model` without each of `count` evaluations; first: with all.
LOCUSI_FN locus_status locusi_explain_batch(locusi_explainer *a, locus_pool *made, const locus_queries *query,
                                            const locusi_similar *left_out, size_t count, int first, int recalled,
                                            const locus_parallel *parallel, double *with, double *without,
                                            locus_error *err)
{
    const size_t versions = count + (first ? 1 : 0), n = a->own.n, p = made->memory.landmarks;
    locus_status status;
    size_t v, i;
    a->job.models = versions;
    for (v = 0; v < versions; v++) {
        const size_t out = first && v == 0 ? SIZE_MAX : left_out[v - (first ? 1 : 0)].row;
        a->job.drawn[v] = 0;
        for (i = 0; i < a->job.n; i++)
            if (a->ordinal[i] != SIZE_MAX && i != out) a->job.draws[v * a->job.n + a->job.drawn[v]++] = (uint32_t)i;
    }
    if ((status = locusi_encode_passes(&a->job, parallel, a->z, err))) return status;
    for (v = 0; v < versions && !status; v++) {
        float *row = recalled ? a->row + v * p : NULL;
        if (recalled)
            status =
                first && v == 0
                    ? locusi_own_row(&a->own, a->own.coefficient, a->own.mu, a->own.sd, row, &a->base[v], err)
                    : locusi_explain_without(a, a->ordinal[left_out[v - (first ? 1 : 0)].row], row, &a->base[v], err);
        if (!status)
            status = locusi_pool_version(made, v, n, a->z + v * made->net->d, row, recalled ? a->base[v] : 0.0f, err);
    }
    if (!status) status = locus_predict(made, query, a->logits, NULL, a->work, a->work_bytes, err);
    if (status) return status;
    if (first) *with = locus_probability((double)a->logits[0]);
    for (v = 0; v < count; v++) without[v] = locus_probability((double)a->logits[v + (first ? 1 : 0)]);
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_explain_all(locusi_explainer *a, const locus_pool *pool, size_t model, locus_pool *made,
                                          const locus_evals *evals, const locus_queries *query, size_t candidates,
                                          const locus_explain_opts *opts, locus_explanation *out, locus_error *err)
{
    const locus_parallel *parallel = opts ? opts->parallel : NULL;
    const unsigned char *available = opts ? opts->available : NULL;
    const int recalled = pool->memory.landmarks && pool->recalled[model];
    const size_t stride = evals->queries.stride ? evals->queries.stride : evals->queries.dim;
    const float *q = query->encodings;
    double norm, with = 0.0, without[LOCUSI_LEFT_OUT];
    size_t i, c, m, n = 0, done, count;
    float y;
    locus_status status;
    if ((status = locus_predict(pool, query, a->logits, NULL, a->work, a->work_bytes, err))) return status;
    out->model = model;
    out->probability = locus_probability((double)a->logits[model]);
    for (m = 0; m < pool->count; m++) {
        if (m == model || !(available ? available[m] : pool->models[m].available)) continue;
        if (out->runner_up == SIZE_MAX || a->logits[m] > a->logits[out->runner_up]) out->runner_up = m;
    }
    if (out->runner_up != SIZE_MAX) {
        out->runner_up_probability = locus_probability((double)a->logits[out->runner_up]);
        out->margin = out->probability - out->runner_up_probability;
    }
    if ((status = locusi_encode_prepare(&a->job, parallel, err))) return status;
    norm = locusi_encoding_norm(pool->net, q);
    for (i = 0; i < a->job.n; i++) {
        const float *e = evals->queries.encodings + i * stride;
        double dot = 0.0, length;
        a->ordinal[i] = SIZE_MAX;
        if (!locusi_score(evals, 0, i, &y)) continue;
        for (c = 0; c < pool->net->q; c++) dot += (double)q[c] * (double)e[c];
        length = norm * locusi_encoding_norm(pool->net, e);
        a->similar[n].similarity = length > 0.0 ? (float)locusi_clamp(dot / length, -1.0, 1.0) : 0.0f;
        a->similar[n].row = i;
        a->ordinal[i] = n++;
    }
    locusi_sort(a->similar, n, sizeof *a->similar, locusi_similar_order);
    a->own.n = n;
    if (recalled) {
        if ((status = locusi_own_fit(&a->own, pool->net->kernels, evals, err))) return status;
        for (i = 0; i < n; i++) a->ones[i] = 1.0;
        locusi_ridge_features(&a->own.r, a->own.w, a->own.score, a->of_score);
        locusi_ridge_features(&a->own.r, a->own.w, a->ones, a->of_one);
        locusi_ridge_features(&a->own.r, a->own.w, a->own.t, a->of_t);
    }
    if (candidates > n) candidates = n;
    a->job.total = (candidates + 1) * a->job.n * (pool->net->layers + 1);
    for (done = 0; done < candidates; done += count) {
        const int first = done == 0;
        count = LOCUSI_LEFT_OUT - (first ? 1 : 0);
        if (count > candidates - done) count = candidates - done;
        if (n > 1 && (status = locusi_explain_batch(a, made, query, a->similar + done, count, first, recalled, parallel,
                                                    &with, without, err)))
            return status;
        for (i = 0; i < count; i++) {
            locus_reason *reason = &a->reason[done + i];
            reason->evaluation = a->similar[done + i].row;
            reason->similarity = a->similar[done + i].similarity;
            locusi_score(evals, 0, reason->evaluation, &reason->score);
            reason->influence = n > 1 ? with - without[i] : (double)locusi_nan();
        }
    }
    out->nearest = candidates;
    out->influences = n > 1 ? candidates : 0;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_explain(const locus_pool *pool, size_t model, const locus_evals *evals,
                                     const locus_queries *query, const locus_explain_opts *opts, locus_explanation *out,
                                     locus_reason *influences, locus_reason *nearest, locus_error *err)
{
    const size_t wanted = opts && opts->count ? opts->count : 8;
    size_t candidates = opts && opts->candidates ? opts->candidates : 256, work_bytes, bytes;
    locus_encode_opts encode;
    locusi_explainer a;
    locusi_carver c = {NULL, 0, 0};
    locus_pool *made;
    void *block = NULL;
    locus_status status;
    if (!query || !out || !influences || !nearest)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !query        ? "query"
                           : !out        ? "out"
                           : !influences ? "influences"
                                         : "nearest");
    if ((status = locusi_check_own(pool, evals, err))) return status;
    if (model >= pool->count)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "model", "below %z", "%z", pool->count, model);
    if (query->count != 1) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "query->count", "1", "%z", query->count);
    if ((status = locusi_check_queries(pool->net, query, err))) return status;
    memset(out, 0, sizeof *out);
    out->model = out->runner_up = SIZE_MAX;
    out->runner_up_probability = out->margin = (double)locusi_nan();
    memset(&encode, 0, sizeof encode);
    if (opts) encode.parallel = opts->parallel, encode.progress = opts->progress, encode.user = opts->user;
    if (candidates < wanted) candidates = wanted;
    if (candidates > evals->queries.count) candidates = evals->queries.count;
    if ((status = locusi_pool_like(&made, pool, LOCUSI_LEFT_OUT, err))) return status;
    made->calibration_shared = pool->calibration[model];
    work_bytes = locusi_max(locus_predict_workspace(pool, 1, NULL), locus_predict_workspace(made, 1, NULL));
    memset(&a, 0, sizeof a);
    locusi_explain_plan(&a, pool, evals, &encode, candidates, work_bytes, &c);
    if (!c.failed && locusi_add(c.used, 64, &bytes)) block = LOCUS_MALLOC(bytes);
    if (!block) status = locusi_fail(err, LOCUS_ERR_MEMORY, "explanation", "%z bytes", "none", c.used);
    else {
        c.base = locusi_align(block);
        c.used = 0;
        locusi_explain_plan(&a, pool, evals, &encode, candidates, work_bytes, &c);
        status = locusi_explain_all(&a, pool, model, made, evals, query, candidates, opts, out, err);
    }
    if (!status) {
        if (out->nearest > wanted) out->nearest = wanted;
        memcpy(nearest, a.reason, out->nearest * sizeof *nearest);
        locusi_sort(a.reason, out->influences, sizeof *a.reason, locusi_reason_order);
        if (out->influences > wanted) out->influences = wanted;
        memcpy(influences, a.reason, out->influences * sizeof *influences);
    }
    locus_pool_destroy(made);
    if (block) LOCUS_FREE(block);
    return status;
}

// ------------------------------------------------------------------------------------------------------------- >>log
//
// The table of >>encoder, kept: row i is query i with score 0, row capacity + i with score 1. A model's scores are a
// row of the log and, in the order in which they came, a list through it, so that a window forgets from its old end.

#define LOCUSI_LOG_WORKERS ((size_t)8)

struct locus_log {
    locusi_job job;
    locus_evals evals; // what the job looks at
    size_t capacity, models, slots, workers, hand;
    float *encodings;          // [capacity, q]
    uint64_t *hash;            // [capacity] of them
    uint32_t *slot;            // [slots] open addressing: row + 1; 0: free
    uint32_t *users;           // [capacity] models that have a score in this row
    unsigned char *filled;     // [capacity] 1: the table has it
    float *scores;             // [models, capacity] NaN: none
    uint32_t *older, *newer;   // [models, capacity] the row scored before, and after; UINT32_MAX: there is none
    uint32_t *oldest, *newest; // [models]
    size_t *evaluations;       // [models]
};

LOCUSI_FN void locusi_log_carve(locus_log *log, locusi_carver *c)
{
    const locus_net *net = log->job.net;
    const size_t threads = log->capacity >= 2 * LOCUSI_CHUNK ? LOCUSI_LOG_WORKERS : 1;
    size_t cells;
    if (!locusi_mul(log->models, log->capacity, &cells)) c->failed = 1;
    log->evals.queries.count = log->capacity;
    locusi_encode_plan(&log->job, net, &log->evals, 0, NULL, threads, LOCUS_ENCODE_FAST, c);
    log->workers = log->job.workers;
    log->encodings = locusi_carve_floats(c, log->capacity, net->q);
    log->hash = (uint64_t *)locusi_carve(c, log->capacity, sizeof(uint64_t));
    log->slot = (uint32_t *)locusi_carve(c, log->slots, sizeof(uint32_t));
    log->users = (uint32_t *)locusi_carve(c, log->capacity, sizeof(uint32_t));
    log->filled = (unsigned char *)locusi_carve(c, log->capacity, 1);
    log->scores = (float *)locusi_carve(c, cells, sizeof(float));
    log->older = (uint32_t *)locusi_carve(c, cells, sizeof(uint32_t));
    log->newer = (uint32_t *)locusi_carve(c, cells, sizeof(uint32_t));
    log->oldest = (uint32_t *)locusi_carve(c, log->models, sizeof(uint32_t));
    log->newest = (uint32_t *)locusi_carve(c, log->models, sizeof(uint32_t));
    log->evaluations = (size_t *)locusi_carve(c, log->models, sizeof(size_t));
}

LOCUS_API locus_status locus_log_create(locus_log **out, const locus_net *net, size_t queries, size_t models,
                                        locus_error *err)
{
    locusi_carver c = {NULL, 0, 0};
    locus_log plan, *log = NULL;
    size_t i, bytes;
    void *block = NULL;
    if (!out || !net) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", out ? "net" : "out");
    *out = NULL;
    if (!net->info.has_encoder)
        return locusi_fail(err, LOCUS_ERR_NO_ENCODER, "net", "a file with the encoder", "the predictor alone");
    if (!queries || !models)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "at least 1", "0", queries ? "models" : "queries");
    if (queries > UINT32_MAX / 4)
        return locusi_fail(err, LOCUS_ERR_OVERFLOW, "queries", "at most %z", "%z", (size_t)(UINT32_MAX / 4), queries);
    memset(&plan, 0, sizeof plan);
    plan.capacity = queries;
    plan.models = models;
    plan.evals.scores.models = 1;
    plan.evals.queries.dim = net->q;
    for (plan.slots = 4; plan.slots < 2 * queries;) plan.slots *= 2;
    plan.job.net = net;
    locusi_carve(&c, 1, sizeof(locus_log));
    locusi_log_carve(&plan, &c);
    if (c.failed || !locusi_add(c.used, 64, &bytes) || bytes > SIZE_MAX / 2)
        return locusi_fail(err, LOCUS_ERR_OVERFLOW, "log", "a size that fits", "%z queries, %z models", queries,
                           models);
    // The block's start is what is freed: the log stands there, its arrays behind it.
    block = LOCUS_MALLOC(bytes + sizeof(locus_log));
    if (!block) return locusi_fail(err, LOCUS_ERR_MEMORY, "log", "%z bytes", "none", bytes);
    log = (locus_log *)block;
    *log = plan;
    c.base = locusi_align(log + 1);
    c.used = 0;
    locusi_log_carve(log, &c);
    memset(log->slot, 0, log->slots * sizeof(uint32_t));
    memset(log->users, 0, queries * sizeof(uint32_t));
    memset(log->filled, 0, queries);
    for (i = 0; i < models * queries; i++) log->scores[i] = locusi_nan();
    memset(log->oldest, 255, models * sizeof(uint32_t));
    memset(log->newest, 255, models * sizeof(uint32_t));
    memset(log->evaluations, 0, models * sizeof(size_t));
    for (i = 0; i < queries; i++) {
        log->job.place[0][i] = (uint32_t)i;
        log->job.place[1][i] = (uint32_t)(queries + i);
    }
    log->evals.queries.encodings = log->encodings;
    log->evals.queries.count = 0; // rows in use from here on
    log->job.evals = &log->evals;
    *out = log;
    return LOCUS_OK;
}

LOCUS_API void locus_log_destroy(locus_log *log)
{
    if (log) LOCUS_FREE(log);
}

// Where this encoding is in `slot`, or would go.
LOCUSI_FN size_t locusi_log_slot(const locus_log *log, const float *encoding, uint64_t hash)
{
    const size_t q = log->job.net->q;
    size_t at = (size_t)hash & (log->slots - 1);
    for (; log->slot[at]; at = (at + 1) & (log->slots - 1)) {
        const size_t row = log->slot[at] - 1;
        if (log->hash[row] == hash && !memcmp(log->encodings + row * q, encoding, q * sizeof(float))) break;
    }
    return at;
}

// Free a slot; those behind it that started at or before it move up.
LOCUSI_FN void locusi_log_unslot(locus_log *log, size_t at)
{
    const size_t mask = log->slots - 1;
    size_t next = at;
    for (;;) {
        next = (next + 1) & mask;
        if (!log->slot[next]) break;
        if (((next - (size_t)log->hash[log->slot[next] - 1]) & mask) >= ((next - at) & mask)) {
            log->slot[at] = log->slot[next];
            at = next;
        }
    }
    log->slot[at] = 0;
}

LOCUS_API locus_status locus_log_query(locus_log *log, const float *encoding, size_t *row, locus_error *err)
{
    const locus_net *net;
    size_t at, i;
    uint64_t hash;
    double norm;
    if (!log || !encoding || !row)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL",
                           !log        ? "log"
                           : !encoding ? "encoding"
                                       : "row");
    net = log->job.net;
    *row = SIZE_MAX;
    norm = locusi_encoding_norm(net, encoding);
    if (norm < 0.0) return locusi_bad_encoding(encoding, net->q, 0, err);
    hash = locusi_encoding_hash(encoding, net->q);
    at = locusi_log_slot(log, encoding, hash);
    if (log->slot[at]) {
        *row = log->slot[at] - 1;
        return LOCUS_OK;
    }
    if (log->evals.queries.count < log->capacity) i = log->evals.queries.count++;
    else { // the next row, going round, that no model has a score in
        size_t tried;
        for (tried = 0; tried < log->capacity && log->users[log->hand]; tried++)
            log->hand = (log->hand + 1) % log->capacity;
        if (tried == log->capacity)
            return locusi_fail(err, LOCUS_ERR_MEMORY, "log", "a row without scores", "scores in all %z", log->capacity);
        i = log->hand;
        log->hand = (log->hand + 1) % log->capacity;
        locusi_log_unslot(log, locusi_log_slot(log, log->encodings + i * net->q, log->hash[i]));
        at = locusi_log_slot(log, encoding, hash);
    }
    memcpy(log->encodings + i * net->q, encoding, net->q * sizeof(float));
    log->hash[i] = hash;
    log->job.norms[i] = (float)(norm * 1.0001); // as locus_encode rounds it
    log->filled[i] = 0;
    log->slot[at] = (uint32_t)(i + 1);
    *row = i;
    return LOCUS_OK;
}

// Take a score out of the row and the list.
LOCUSI_FN void locusi_log_drop(locus_log *log, size_t model, size_t row)
{
    const size_t first = model * log->capacity;
    const uint32_t older = log->older[first + row], newer = log->newer[first + row];
    if (older == UINT32_MAX) log->oldest[model] = newer;
    else log->newer[first + older] = newer;
    if (newer == UINT32_MAX) log->newest[model] = older;
    else log->older[first + newer] = older;
    log->scores[first + row] = locusi_nan();
    log->users[row]--;
    log->evaluations[model]--;
}

LOCUS_API locus_status locus_log_score(locus_log *log, size_t model, size_t row, float score, locus_error *err)
{
    size_t first;
    if (!log) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "log", "a pointer", "NULL");
    if (model >= log->models)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "model", "below %z", "%z", log->models, model);
    if (row >= log->evals.queries.count)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "row", "below %z", "%z", log->evals.queries.count, row);
    if (!locusi_is_nan(score) && !(score >= 0.0f && score <= 1.0f))
        return locusi_fail(err, LOCUS_ERR_SCORE, "score", "0 to 1, or NaN to take it out", "%f", (double)score);
    first = model * log->capacity;
    if (!locusi_is_nan(log->scores[first + row])) locusi_log_drop(log, model, row);
    if (locusi_is_nan(score)) return LOCUS_OK;
    log->scores[first + row] = score;
    log->older[first + row] = log->newest[model];
    log->newer[first + row] = UINT32_MAX;
    if (log->newest[model] == UINT32_MAX) log->oldest[model] = (uint32_t)row;
    else log->newer[first + log->newest[model]] = (uint32_t)row;
    log->newest[model] = (uint32_t)row;
    log->users[row]++;
    log->evaluations[model]++;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_log_forget(locus_log *log, size_t model, size_t keep, locus_error *err)
{
    if (!log) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "log", "a pointer", "NULL");
    if (model >= log->models)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "model", "below %z", "%z", log->models, model);
    while (log->evaluations[model] > keep) locusi_log_drop(log, model, log->oldest[model]);
    return LOCUS_OK;
}

LOCUS_API size_t locus_log_evaluations(const locus_log *log, size_t model)
{
    return log && model < log->models ? log->evaluations[model] : 0;
}

LOCUS_API locus_evals locus_log_evals(const locus_log *log, size_t model)
{
    locus_evals evals;
    memset(&evals, 0, sizeof evals);
    if (!log || model >= log->models) return evals;
    evals = log->evals;
    evals.scores.f32 = log->scores + model * log->capacity;
    return evals;
}

// What the table lacks, in runs of rows.
LOCUSI_FN void locusi_log_fill(void *arg, size_t worker)
{
    locus_log *log = (locus_log *)arg;
    locusi_job *job = &log->job;
    locusi_scratch *w = &job->scratch[worker];
    const int what =
        job->net->info.encoder_kind == LOCUS_SAB ? LOCUSI_TOKENS : LOCUSI_TOKENS | LOCUSI_QUERIES | LOCUSI_KEYS;
    size_t tile, query[LOCUSI_TILE], i, n;
    w->mine = 0;
    while ((tile = locusi_next(&job->counter, worker, &w->mine)) < (job->n + LOCUSI_TILE - 1) / LOCUSI_TILE) {
        const size_t end = job->n - tile * LOCUSI_TILE < LOCUSI_TILE ? job->n : (tile + 1) * LOCUSI_TILE;
        for (i = tile * LOCUSI_TILE; i < end; i += n ? n : 1) {
            for (n = 0; i + n < end && !log->filled[i + n]; n++) {
                query[n] = i + n;
                log->filled[i + n] = 1;
            }
            if (!n) continue;
            locusi_table_fill(job, w, &job->table, i, 0, query, n, what);
            locusi_table_fill(job, w, &job->table, log->capacity + i, 1, query, n, what);
        }
    }
}

LOCUS_API locus_status locus_log_embed(locus_log *log, size_t model, float *z, const locus_parallel *parallel,
                                       locus_error *err)
{
    const size_t threads = locusi_workers(parallel);
    if (!log || !z) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", log ? "z" : "log");
    if (model >= log->models)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "model", "below %z", "%z", log->models, model);
    if (!log->evaluations[model])
        return locusi_fail(err, LOCUS_ERR_EMPTY_SET, "model %z", "at least one evaluation", "none", model);
    log->evals.scores.f32 = log->scores + model * log->capacity;
    log->job.n = log->evals.queries.count;
    log->job.workers = threads < log->workers ? threads : log->workers;
    log->job.bad = 0;
    log->job.counter.next = 0;
    log->job.counter.workers = log->job.workers;
    locusi_run(parallel, locusi_log_fill, log, log->job.workers);
    return locusi_encode_passes(&log->job, parallel, z, err);
}

LOCUS_API locus_status locus_pool_copy(locus_pool **out, const locus_pool *pool, locus_error *err)
{
    locus_pool *to;
    locus_status status;
    size_t n;
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    *out = NULL;
    if (!pool) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "pool", "a pointer", "NULL");
    n = pool->count;
    if ((status = locusi_pool_like(&to, pool, n, err))) return status;
    to->count = n;
    to->guard = pool->guard;
    if (n) {
        memcpy(to->models, pool->models, n * sizeof(locus_model));
        memcpy(to->z, pool->z, n * pool->net->dp * sizeof(float));
        memcpy(to->hidden, pool->hidden, n * pool->net->gp * sizeof(float));
        memcpy(to->calibration, pool->calibration, n * sizeof(locus_calibration));
    }
    if (n && pool->memory.landmarks) {
        memcpy(to->recall, pool->recall, locusi_pad(n) * pool->memory.landmarks * sizeof(float));
        memcpy(to->recall_base, pool->recall_base, n * sizeof(float));
        memcpy(to->recalled, pool->recalled, n);
    }
    locusi_pool_derive(to);
    *out = to;
    return LOCUS_OK;
}

#endif // LOCUS_NO_EXPLORE

// --------------------------------------------------------------------------------------------------------- >>train
//
// Parameters, gradients and the optimiser's moments are flat arrays of one layout: each matrix row-major with rows and
// columns padded to multiples of 16 (attention weights in head layout), each vector padded; the pads are 0 and stay 0.
//
// A step. What all models share is computed once: the step's queries with their noise, the tokens of score 0 and 1
// (a token is affine in the score, see >>encoder), and what layer 0 makes of them: keys, values, queries. Then each
// model goes forward, through the loss of its own targets, and backward, alone, so that only one model's activations
// exist for each thread; what it owes the shared rows is summed over the models before it meets the shared weights.
// Models are split into groups, each summed in order by one thread, and groups are added in order: the number of
// threads changes no bit.
//
// Attention works on tall matrices: rows are tokens, columns are (head, inducing vector). Where tokens attend to
// inducing vectors the softmax runs along a row, where inducing vectors attend to tokens it runs down a column.

#ifndef LOCUS_NO_TRAIN

#define LOCUSI_GROUPS ((size_t)8)
#define LOCUSI_LARGEST_WEIGHT 1e6 // of a trainer; times the largest scale of encodings still one that a net may have
#define LOCUSI_LARGEST_SCALE 1e6f

typedef struct locusi_param {
    size_t at;                           // in the flat arrays
    size_t rows, columns;                // real
    size_t ld;                           // columns as stored
    size_t tensor;                       // whose elements these are (see locusi_spec_at) ...
    size_t first, row_step, column_step; // ... and where they stand in it
    int head_rows, head_columns;
} locusi_param;

typedef struct locusi_mab_at { // where a block's parameters stand
    size_t wq, wk, wv, fc, gain0, bias0, gain1, bias1, w1, b1, w2, b2;
} locusi_mab_at;

typedef struct locusi_layer_at {
    size_t induce;
    locusi_mab_at mab1, mab2; // sab: mab2 alone
} locusi_layer_at;

enum { LOCUSI_MAX_LAYERS = 16 };

typedef struct locusi_layout {
    locusi_param *params;                     // NULL: only count
    size_t param_count, count, encoder_count; // of floats; the encoder's come first
    size_t a, ay, c, ab;                      // the token map's columns for q, y and q (2y-1), and its bias
    locusi_layer_at layer[LOCUSI_MAX_LAYERS];
    size_t seed, out, out_b;
    locusi_mab_at pool;
    size_t u, u_b, hz, hu, hzu, h_b, last, last_b;
} locusi_layout;

LOCUSI_FN size_t locusi_layout_add(locusi_layout *l, size_t tensor, size_t rows, size_t columns, size_t stored_rows,
                                   size_t ld, size_t first, size_t row_step, size_t column_step, int head_rows,
                                   int head_columns)
{
    const size_t at = l->count;
    if (l->params) {
        locusi_param *p = &l->params[l->param_count];
        p->at = at;
        p->rows = rows;
        p->columns = columns;
        p->ld = ld;
        p->tensor = tensor;
        p->first = first;
        p->row_step = row_step;
        p->column_step = column_step;
        p->head_rows = head_rows;
        p->head_columns = head_columns;
    }
    l->param_count++;
    l->count += stored_rows * ld;
    return at;
}

LOCUSI_FN size_t locusi_layout_matrix(locusi_layout *l, size_t tensor, size_t rows, size_t columns)
{
    return locusi_layout_add(l, tensor, rows, columns, locusi_pad(rows), locusi_pad(columns), 0, columns, 1, 0, 0);
}

LOCUSI_FN size_t locusi_layout_vector(locusi_layout *l, size_t tensor, size_t n)
{
    return locusi_layout_add(l, tensor, 1, n, 1, locusi_pad(n), 0, 0, 1, 0, 0);
}

LOCUSI_FN void locusi_layout_mab(locusi_layout *l, const locus_net *s, size_t tensor, locusi_mab_at *m)
{
    const size_t d = s->d;
    m->wq = locusi_layout_add(l, tensor, d, d, s->hp, s->dp, 0, d, 1, 1, 0);
    m->wk = locusi_layout_add(l, tensor + 1, d, d, s->hp, s->dp, 0, d, 1, 1, 0);
    m->wv = locusi_layout_add(l, tensor + 2, d, d, s->hp, s->dp, 0, d, 1, 1, 0);
    m->fc = locusi_layout_add(l, tensor + 3, d, d, s->dp, s->hp, 0, d, 1, 0, 1);
    m->gain0 = locusi_layout_vector(l, tensor + 4, d);
    m->bias0 = locusi_layout_vector(l, tensor + 5, d);
    m->gain1 = locusi_layout_vector(l, tensor + 6, d);
    m->bias1 = locusi_layout_vector(l, tensor + 7, d);
    m->w1 = locusi_layout_matrix(l, tensor + 8, s->f, d);
    m->b1 = locusi_layout_vector(l, tensor + 9, s->f);
    m->w2 = locusi_layout_matrix(l, tensor + 10, d, s->f);
    m->b2 = locusi_layout_vector(l, tensor + 11, d);
}

// The layout of a net of these sizes; params may be NULL at first, to count.
LOCUSI_FN void locusi_layout_make(locusi_layout *l, const locus_net *s, locusi_param *params)
{
    const size_t d = s->d, q = s->q, g = s->g, each = locusi_layer_tensors(s), qp = locusi_pad(q);
    size_t i, tensor;
    memset(l, 0, sizeof *l);
    l->params = params;
    l->a = locusi_layout_add(l, 0, d, q, s->dp, qp, 0, 2 * q + 1, 1, 0, 0);
    l->ay = locusi_layout_add(l, 0, 1, d, 1, s->dp, q, 0, 2 * q + 1, 0, 0);
    l->c = locusi_layout_add(l, 0, d, q, s->dp, qp, q + 1, 2 * q + 1, 1, 0, 0);
    l->ab = locusi_layout_vector(l, 1, d);
    for (i = 0, tensor = 2; i < s->layers; i++, tensor += each) {
        if (s->info.encoder_kind == LOCUS_SAB) {
            locusi_layout_mab(l, s, tensor, &l->layer[i].mab2);
            continue;
        }
        l->layer[i].induce = locusi_layout_add(l, tensor, s->r, d, s->rp, s->dp, 0, d, 1, 0, 0);
        locusi_layout_mab(l, s, tensor + 1, &l->layer[i].mab1);
        locusi_layout_mab(l, s, tensor + 1 + LOCUSI_MAB_TENSORS, &l->layer[i].mab2);
    }
    l->seed = locusi_layout_vector(l, tensor, d);
    locusi_layout_mab(l, s, tensor + 1, &l->pool);
    tensor += 1 + LOCUSI_MAB_TENSORS;
    l->out = locusi_layout_matrix(l, tensor, d, d);
    l->out_b = locusi_layout_vector(l, tensor + 1, d);
    l->encoder_count = l->count;
    tensor += 2;
    l->u = locusi_layout_matrix(l, tensor, d, q);
    l->u_b = locusi_layout_vector(l, tensor + 1, d);
    for (i = 0; i < 3; i++) {
        const size_t at = locusi_layout_add(l, tensor + 2, g, d, s->gp, s->dp, i * d, 3 * d, 1, 0, 0);
        *(i == 0 ? &l->hz : i == 1 ? &l->hu : &l->hzu) = at;
    }
    l->h_b = locusi_layout_vector(l, tensor + 3, g);
    l->last = locusi_layout_vector(l, tensor + 4, g);
    l->last_b = locusi_layout_vector(l, tensor + 5, 1);
}

// Where element (row, column) of a parameter stands in the flat arrays.
LOCUSI_FN size_t locusi_param_at(const locus_net *s, const locusi_param *p, size_t row, size_t column)
{
    if (p->head_rows) row = locusi_head_column(s, row);
    if (p->head_columns) column = locusi_head_column(s, column);
    return p->at + row * p->ld + column;
}

// ---- the step's arithmetic

typedef struct locusi_kept {    // of a block's rows, for the way back
    float *heads;               // [n, ldh] what attention gave, heads side by side
    float *hat0, *hat1;         // [n, ldx] the two layer norms before gain and bias
    float *inverse0, *inverse1; // [n] 1 / deviation
    float *f;                   // [n, ldf] feed-forward's hidden layer after ReLU
} locusi_kept;

typedef struct locusi_kept_layer {
    float *k1, *v1, *a1, *hm; // mab1: keys, values [n, ldh], attention [n, lds], result [rp, ldx]
    float *q2, *a2;           // mab2: queries [n, ldh], attention [n, lds2]
    float *k2, *v2;           // its keys and values [r or n, ldh]
    locusi_kept mab1, mab2;
} locusi_kept_layer;

typedef struct locusi_train_worker { // one thread's activations of one model
    float *x[LOCUSI_MAX_LAYERS + 1]; // [n, ldx] each layer's input, and the pooling's
    locusi_kept_layer layer[LOCUSI_MAX_LAYERS];
    float *pool_a, *pool_mean; // attention [n, headsp], weighted means [headsp, ldx]
    float *pool_row;           // [ldx]
    locusi_kept pool;
    float *z, *dz;                // [dp]
    float *packed;                // right-hand sides of small products
    float *dx, *dk, *dv;          // [n, ldx], [n, ldh]
    float *dk2, *dv2, *dhm;       // [keys, ldh], [rp, ldx]
    float *o, *df, *dh, *dq, *ds; // a tile's; o: after the first layer norm and ReLU
    float *dot;                   // [heads * rp]
    float *scaled, *scaled_rows;  // predictor: W_zu with columns scaled by z, packed and as rows
    float *pre, *dpre, *e, *dhz;  // [targets, ldg], [gp, dp], [gp]
    float *dlogit;                // [targets]
    size_t *rows;                 // the model's evaluations: rows of the step's table,
    float *y;                     // and their scores
    size_t count, mine;
} locusi_train_worker;

typedef struct locusi_train_group { // what its models have summed up, one block
    float *gradient;
    float *dinduce;                       // [layers, rp, ldh] of the inducing vectors' queries
    float *dseed;                         // [hp] of the pooling query
    float *dt[2], *dq[2], *dk[2], *dv[2]; // of the table's rows
    float *du, *dhu;                      // [targets, ldx], [targets, ldg]
    double loss;
} locusi_train_group;

// One step's input: `rows` queries for the encoder and `targets` for the predictor, both with noise, padded columns.
// Scores are NaN where there is none.
typedef struct locusi_batch {
    size_t models, rows, targets;
    const float *queries;        // [rows, qp]
    const float *target_queries; // [targets, qp]
    const float *scores;         // [models, rows]
    const float *target_scores;  // [models, targets]; NULL: only embeddings and logits are wanted
    float *z;                    // [models, dp] results, may be NULL
    float *logits;               // [models, targets] results, may be NULL
    const float *model_weight;   // [models] of each target's cross-entropy in the loss
    uint64_t dropout_key;        // 0: no dropout
    const size_t *model_id;      // [models] what dropout is drawn by; NULL: 0, 1, ...
    size_t silent;               // models whose number is at least this do not count in the loss; 0: all count
    int add;                     // this step's gradients add to those before
} locusi_batch;

struct locusi_train_core {
    locus_net shape; // sizes alone
    locusi_layout layout;
    const locusi_kernels *k;
    const locus_parallel *parallel;
    size_t qp, ldx, ldh, ldf, lds, ldg, headsp, tile;
    size_t groups, group_floats, most_rows, most_targets, workers,
        zeros;                         // no_column: `zeros` times 0, then 16 times -1e30
    float *theta, *forward, *backward; // weights; packed for x W^T; packed for dy W
    float *live, *no_column;
    float *induce_queries, *packed_induce; // [layers][rp, ldh]; [layers][heads * dhp * rp] packed, times scale
    float *seed_queries, *packed_seed;     // [hp]; packed [dp -> headsp], times scale
    float *seed_keys;                      // [headsp, ldx] W_k^T of the pooling query, by head
    float *p, *c;                          // [rows, ldx] A q + b and C q
    float *t[2], *tq[2], *tk[2], *tv[2];   // the table
    float *u, *hu;                         // [targets, ldx], [targets, ldg]
    locusi_train_worker *worker;
    locusi_train_group *group;
    float dropout;
    // the running step
    const locusi_batch *batch;
    locusi_counter counter;
    int bad;
};
typedef struct locusi_train_core locusi_train_core;

// y [n, out] <- x [n, in] W^T for the weight at `at`; out and in as stored
LOCUSI_FN void locusi_through(const locusi_train_core *t, size_t at, size_t out, size_t in, const float *x, size_t ldx,
                              size_t n, float *y, size_t ldy)
{
    locusi_product(t->k, x, ldx, 1, n, in, t->forward + at, 16, 16 * in, out, y, ldy, 0);
}

// dx [n, in] (+)= dy [n, out] W
LOCUSI_FN void locusi_back(const locusi_train_core *t, size_t at, size_t out, size_t in, const float *dy, size_t ldy,
                           size_t n, float *dx, size_t ldx, int add)
{
    locusi_product(t->k, dy, ldy, 1, n, out, t->backward + at, 16, 16 * out, in, dx, ldx, add);
}

// dW [out, in] += dy^T x
LOCUSI_FN void locusi_owe(const locusi_train_core *t, float *gradient, size_t at, size_t out, size_t in,
                          const float *dy, size_t ldy, const float *x, size_t ldx, size_t n)
{
    locusi_product(t->k, dy, 1, ldy, out, n, x, ldx, 16, in, gradient + at, in, 1);
}

// packed [dhp -> padded n] for each head <- rows [n, ld] of heads side by side, times scale; pads are 0
LOCUSI_FN void locusi_pack_rows(const locus_net *s, const float *rows, size_t ld, size_t n, float scale, float *packed)
{
    const size_t np = locusi_pad(n);
    size_t h, i, c;
    for (h = 0; h < s->heads; h++, packed += s->dhp * np)
        for (i = 0; i < np; i++)
            for (c = 0; c < s->dhp; c++)
                packed[i / 16 * 16 * s->dhp + 16 * c + i % 16] = i < n ? scale * rows[i * ld + h * s->dhp + c] : 0.0f;
}

LOCUSI_FN void locusi_train_pack(const locusi_train_core *t, size_t at, size_t rows, size_t ld)
{
    const float *w = t->theta + at;
    float *f = t->forward + at, *b = t->backward + at;
    size_t i, j, c;
    for (i = 0; i < rows; i += 16)
        for (c = 0; c < ld; c += 16)
            for (j = 0; j < 16; j++) {
                const float *from = w + (i + j) * ld + c;
                float *to = f + i * ld + c * 16 + j;
                size_t k;
                for (k = 0; k < 16; k++) to[16 * k] = from[k];
                memcpy(b + c * rows + (i + j) * 16, from, 16 * sizeof(float));
            }
}

LOCUSI_FN void locusi_train_pack_mab(const locusi_train_core *t, const locusi_mab_at *m)
{
    const locus_net *s = &t->shape;
    locusi_train_pack(t, m->wq, s->hp, s->dp);
    locusi_train_pack(t, m->wk, s->hp, s->dp);
    locusi_train_pack(t, m->wv, s->hp, s->dp);
    locusi_train_pack(t, m->fc, s->dp, s->hp);
    locusi_train_pack(t, m->w1, s->fp, s->dp);
    locusi_train_pack(t, m->w2, s->dp, s->fp);
}

// What depends on the weights alone, after each change of them.
LOCUSI_FN void locusi_train_prepare(locusi_train_core *t)
{
    const locus_net *s = &t->shape;
    const locusi_layout *l = &t->layout;
    const float scale = locusi_softmax_scale(s);
    size_t i, h, c, j;
    locusi_train_pack(t, l->a, s->dp, t->qp);
    locusi_train_pack(t, l->c, s->dp, t->qp);
    for (i = 0; i < s->layers; i++) {
        locusi_train_pack_mab(t, &l->layer[i].mab2);
        if (s->info.encoder_kind == LOCUS_SAB) continue;
        locusi_train_pack_mab(t, &l->layer[i].mab1);
        locusi_through(t, l->layer[i].mab1.wq, s->hp, s->dp, t->theta + l->layer[i].induce, s->dp, s->rp,
                       t->induce_queries + i * s->rp * t->ldh, t->ldh);
        locusi_pack_rows(s, t->induce_queries + i * s->rp * t->ldh, t->ldh, s->r, scale,
                         t->packed_induce + i * s->hp * s->rp);
    }
    locusi_train_pack_mab(t, &l->pool);
    locusi_train_pack(t, l->out, s->dp, s->dp);
    locusi_train_pack(t, l->u, s->dp, t->qp);
    locusi_train_pack(t, l->hz, s->gp, s->dp);
    locusi_train_pack(t, l->hu, s->gp, s->dp);
    locusi_train_pack(t, l->hzu, s->gp, s->dp);
    // scores of the pooling query against keys W_k x are x times W_k^T (W_q S), head by head
    locusi_through(t, l->pool.wq, s->hp, s->dp, t->theta + l->seed, s->dp, 1, t->seed_queries, s->hp);
    memset(t->seed_keys, 0, t->headsp * t->ldx * sizeof(float));
    for (h = 0; h < s->heads; h++)
        for (c = h * s->dhp; c < (h + 1) * s->dhp; c++)
            t->k->axpy(t->seed_queries[c], t->theta + l->pool.wk + c * s->dp, t->seed_keys + h * t->ldx, s->dp);
    for (h = 0; h < t->headsp; h++)
        for (j = 0; j < s->dp; j++)
            t->packed_seed[h / 16 * 16 * s->dp + 16 * j + h % 16] = scale * t->seed_keys[h * t->ldx + j];
}

// ---- forward

// A block behind its attention: y <- LN1(o + rff(o)), o = ReLU(LN0(heads fc^T + residual)), for n rows
LOCUSI_FN int locusi_block_forward(const locusi_train_core *t, const locusi_train_worker *w, const locusi_mab_at *m,
                                   const locusi_kept *kept, size_t first, size_t n, const float *residual, size_t ldr,
                                   float *y)
{
    const locus_net *s = &t->shape;
    const float *theta = t->theta;
    float *o = w->o, *f = kept->f + first * t->ldf;
    int finite;
    locusi_matmul_run(t->k, kept->heads + first * t->ldh, t->ldh, n, s->hp, t->forward + m->fc, s->dp, o, t->ldx, NULL,
                      residual, ldr, 0);
    finite = t->k->layernorm_keep(o, t->ldx, n, s->d, s->dp / 16, theta + m->gain0, theta + m->bias0, t->live, 1,
                                  kept->hat0 + first * t->ldx, kept->inverse0 + first);
    locusi_matmul_run(t->k, o, t->ldx, n, s->dp, t->forward + m->w1, s->fp, f, t->ldf, theta + m->b1, NULL, 0, 1);
    locusi_matmul_run(t->k, f, t->ldf, n, s->fp, t->forward + m->w2, s->dp, y, t->ldx, theta + m->b2, o, t->ldx, 0);
    return t->k->layernorm_keep(y, t->ldx, n, s->d, s->dp / 16, theta + m->gain1, theta + m->bias1, t->live, 0,
                                kept->hat1 + first * t->ldx, kept->inverse1 + first) &
           finite;
}

// out [count, width] <- rows of the table, mixed by the score: (1-y) row of 0 + y row of 1
LOCUSI_FN void locusi_table_rows(const locusi_train_core *t, float *const table[2], size_t ld,
                                 const locusi_train_worker *w, float *out, size_t width)
{
    size_t i;
    for (i = 0; i < w->count; i++, out += ld) {
        const float y = w->y[i], *zero = table[0] + w->rows[i] * ld, *one = table[1] + w->rows[i] * ld;
        memcpy(out, y >= 1.0f ? one : zero, width * sizeof(float));
        if (!(y > 0.0f && y < 1.0f)) continue;
        t->k->axpy(-y, zero, out, width);
        t->k->axpy(y, one, out, width);
    }
}

// Tokens attend to `keys` rows (inducing vectors, or all tokens): attention, then the block, tile by tile.
LOCUSI_FN int locusi_attend_forward(const locusi_train_core *t, locusi_train_worker *w, const locusi_mab_at *m,
                                    locusi_kept_layer *kept, size_t keys, const float *x, int has_queries, float *y)
{
    const locus_net *s = &t->shape;
    const size_t kp = locusi_pad(keys), lds = s->heads * kp + 16;
    int finite = 1;
    size_t at, h, n;
    locusi_pack_rows(s, kept->k2, t->ldh, keys, locusi_softmax_scale(s), w->packed);
    for (at = 0; at < w->count; at += n) {
        float *q = kept->q2 + at * t->ldh, *a = kept->a2 + at * lds, *heads = kept->mab2.heads + at * t->ldh;
        n = w->count - at < t->tile ? w->count - at : t->tile;
        if (!has_queries) locusi_through(t, m->wq, s->hp, s->dp, x + at * t->ldx, t->ldx, n, q, t->ldh);
        for (h = 0; h < s->heads; h++) {
            locusi_matmul_run(t->k, q + h * s->dhp, t->ldh, n, s->dhp, w->packed + h * s->dhp * kp, kp, a + h * kp, lds,
                              t->no_column + t->zeros - keys, NULL, 0, 0);
            t->k->softmax(a + h * kp, lds, n, kp / 16);
            locusi_product(t->k, a + h * kp, lds, 1, n, keys, kept->v2 + h * s->dhp, t->ldh, 16, s->dhp,
                           heads + h * s->dhp, t->ldh, 0);
        }
        finite &= locusi_block_forward(t, w, m, &kept->mab2, at, n, x + at * t->ldx, t->ldx, y + at * t->ldx);
    }
    return finite;
}

LOCUSI_FN int locusi_layer_forward(const locusi_train_core *t, locusi_train_worker *w, size_t l)
{
    const locus_net *s = &t->shape;
    const locusi_layer_at *at = &t->layout.layer[l];
    locusi_kept_layer *kept = &w->layer[l];
    const float *x = w->x[l];
    const size_t n = w->count;
    size_t h;
    int finite;
    if (s->info.encoder_kind == LOCUS_SAB) {
        locusi_through(t, at->mab2.wk, s->hp, s->dp, x, t->ldx, n, kept->k2, t->ldh);
        locusi_through(t, at->mab2.wv, s->hp, s->dp, x, t->ldx, n, kept->v2, t->ldh);
        return locusi_attend_forward(t, w, &at->mab2, kept, n, x, 0, w->x[l + 1]);
    }
    if (l) {
        locusi_through(t, at->mab1.wk, s->hp, s->dp, x, t->ldx, n, kept->k1, t->ldh);
        locusi_through(t, at->mab1.wv, s->hp, s->dp, x, t->ldx, n, kept->v1, t->ldh);
    } else {
        locusi_table_rows(t, t->tk, t->ldh, w, kept->k1, s->hp);
        locusi_table_rows(t, t->tv, t->ldh, w, kept->v1, s->hp);
        locusi_table_rows(t, t->tq, t->ldh, w, kept->q2, s->hp);
    }
    for (h = 0; h < s->heads; h++) {
        locusi_matmul_run(t->k, kept->k1 + h * s->dhp, t->ldh, n, s->dhp,
                          t->packed_induce + l * s->hp * s->rp + h * s->dhp * s->rp, s->rp, kept->a1 + h * s->rp,
                          t->lds, NULL, NULL, 0, 0);
    }
    t->k->softmax_down(kept->a1, t->lds, n, s->heads * s->rp / 16);
    for (h = 0; h < s->heads; h++)
        locusi_product(t->k, kept->a1 + h * s->rp, 1, t->lds, s->r, n, kept->v1 + h * s->dhp, t->ldh, 16, s->dhp,
                       kept->mab1.heads + h * s->dhp, t->ldh, 0);
    finite = locusi_block_forward(t, w, &at->mab1, &kept->mab1, 0, s->r, t->theta + at->induce, s->dp, kept->hm);
    locusi_through(t, at->mab2.wk, s->hp, s->dp, kept->hm, t->ldx, s->r, kept->k2, t->ldh);
    locusi_through(t, at->mab2.wv, s->hp, s->dp, kept->hm, t->ldx, s->r, kept->v2, t->ldh);
    return finite & locusi_attend_forward(t, w, &at->mab2, kept, s->r, x, l == 0, w->x[l + 1]);
}

// w->z <- the embedding of the w->count evaluations in w->rows, w->y
LOCUSI_FN int locusi_model_forward(const locusi_train_core *t, locusi_train_worker *w)
{
    const locus_net *s = &t->shape;
    const locusi_layout *at = &t->layout;
    const float *x;
    size_t l, h, c, j;
    int finite = 1;
    locusi_table_rows(t, t->t, t->ldx, w, w->x[0], s->dp);
    for (l = 0; l < s->layers; l++) finite &= locusi_layer_forward(t, w, l);
    x = w->x[s->layers];
    locusi_matmul_run(t->k, x, t->ldx, w->count, s->dp, t->packed_seed, t->headsp, w->pool_a, t->headsp, NULL, NULL, 0,
                      0);
    t->k->softmax_down(w->pool_a, t->headsp, w->count, t->headsp / 16);
    locusi_product(t->k, w->pool_a, 1, t->headsp, s->heads, w->count, x, t->ldx, 16, s->dp, w->pool_mean, t->ldx, 0);
    for (h = 0; h < s->heads; h++)
        for (c = h * s->dhp; c < (h + 1) * s->dhp; c++) {
            const float *row = t->theta + at->pool.wv + c * s->dp, *mean = w->pool_mean + h * t->ldx;
            float sum = 0.0f;
            for (j = 0; j < s->dp; j++) sum += row[j] * mean[j];
            w->pool.heads[c] = sum;
        }
    finite &= locusi_block_forward(t, w, &at->pool, &w->pool, 0, 1, t->theta + at->seed, s->dp, w->pool_row);
    locusi_matmul_run(t->k, w->pool_row, t->ldx, 1, s->dp, t->forward + at->out, s->dp, w->z, s->dp,
                      t->theta + at->out_b, NULL, 0, 0);
    return finite;
}

// ---- backward

// dy (n rows): of the result -> of the residual; w->dh: of the attention's output; what is owed to the weights is
// added.
LOCUSI_FN void locusi_block_backward(const locusi_train_core *t, locusi_train_worker *w, float *g,
                                     const locusi_mab_at *m, const locusi_kept *kept, size_t first, size_t n, float *dy)
{
    const locus_net *s = &t->shape;
    const size_t ldx = t->ldx, ldf = t->ldf, ldh = t->ldh, dp = s->dp / 16;
    const float *f = kept->f + first * ldf;
    float *o = w->o;
    t->k->layernorm_back(dy, ldx, n, s->d, dp, t->theta + m->gain1, t->live, kept->hat1 + first * ldx,
                         kept->inverse1 + first, g + m->gain1, g + m->bias1);
    locusi_owe(t, g, m->w2, s->dp, s->fp, dy, ldx, f, ldf, n);
    t->k->add_rows(dy, ldx, n, dp, g + m->b2);
    locusi_back(t, m->w2, s->dp, s->fp, dy, ldx, n, w->df, ldf, 0);
    t->k->relu_back(w->df, ldf, f, ldf, n, s->fp / 16);
    t->k->affine_relu(kept->hat0 + first * ldx, ldx, n, dp, t->theta + m->gain0, t->theta + m->bias0, o);
    locusi_owe(t, g, m->w1, s->fp, s->dp, w->df, ldf, o, ldx, n);
    t->k->add_rows(w->df, ldf, n, s->fp / 16, g + m->b1);
    locusi_matmul_run(t->k, w->df, ldf, n, s->fp, t->backward + m->w1, s->dp, dy, ldx, NULL, dy, ldx, 0);
    t->k->relu_back(dy, ldx, o, ldx, n, dp);
    t->k->layernorm_back(dy, ldx, n, s->d, dp, t->theta + m->gain0, t->live, kept->hat0 + first * ldx,
                         kept->inverse0 + first, g + m->gain0, g + m->bias0);
    locusi_owe(t, g, m->fc, s->dp, s->hp, dy, ldx, kept->heads + first * ldh, ldh, n);
    locusi_back(t, m->fc, s->dp, s->hp, dy, ldx, n, w->dh, ldh, 0);
}

// dx [n, ldx] of the layer's result -> of its input; dk2, dv2 [keys, ldh] receive what is owed to keys and values.
// dq_all: NULL, or where the queries' gradients go (layer 0, whose queries stand in the table).
LOCUSI_FN void locusi_attend_backward(const locusi_train_core *t, locusi_train_worker *w, float *g,
                                      const locusi_mab_at *m, const locusi_kept_layer *kept, size_t keys,
                                      const float *x, float *dx, float *dq_all)
{
    const locus_net *s = &t->shape;
    const size_t kp = locusi_pad(keys), lds = s->heads * kp + 16, ldh = t->ldh, ldd = kp + 16;
    const float natural = 1.0f / sqrtf((float)s->dh);
    size_t at, h, n;
    locusi_pack_rows(s, kept->v2, ldh, keys, 1.0f, w->packed);
    memset(w->dk2, 0, keys * ldh * sizeof(float));
    memset(w->dv2, 0, keys * ldh * sizeof(float));
    for (at = 0; at < w->count; at += n) {
        const float *a = kept->a2 + at * lds, *q = kept->q2 + at * ldh;
        float *dq = dq_all ? dq_all + at * ldh : w->dq;
        n = w->count - at < t->tile ? w->count - at : t->tile;
        locusi_block_backward(t, w, g, m, &kept->mab2, at, n, dx + at * t->ldx);
        for (h = 0; h < s->heads; h++) {
            locusi_matmul_run(t->k, w->dh + h * s->dhp, ldh, n, s->dhp, w->packed + h * s->dhp * kp, kp, w->ds, ldd,
                              NULL, NULL, 0, 0);
            locusi_product(t->k, a + h * kp, 1, lds, keys, n, w->dh + h * s->dhp, ldh, 16, s->dhp, w->dv2 + h * s->dhp,
                           ldh, 1);
            t->k->softmax_back(a + h * kp, w->ds, lds, ldd, n, kp / 16, natural);
            locusi_product(t->k, w->ds, ldd, 1, n, keys, kept->k2 + h * s->dhp, ldh, 16, s->dhp, dq + h * s->dhp, ldh,
                           0);
            locusi_product(t->k, w->ds, 1, ldd, keys, n, q + h * s->dhp, ldh, 16, s->dhp, w->dk2 + h * s->dhp, ldh, 1);
        }
        if (dq_all) continue;
        locusi_owe(t, g, m->wq, s->hp, s->dp, dq, ldh, x + at * t->ldx, t->ldx, n);
        locusi_back(t, m->wq, s->hp, s->dp, dq, ldh, n, dx + at * t->ldx, t->ldx, 1);
    }
}

// dx += (dk W_k + dv W_v), and what is owed to W_k and W_v
LOCUSI_FN void locusi_keys_backward(const locusi_train_core *t, float *g, const locusi_mab_at *m, const float *dk,
                                    const float *dv, const float *x, size_t n, float *dx, int add)
{
    const locus_net *s = &t->shape;
    locusi_owe(t, g, m->wk, s->hp, s->dp, dk, t->ldh, x, t->ldx, n);
    locusi_owe(t, g, m->wv, s->hp, s->dp, dv, t->ldh, x, t->ldx, n);
    locusi_back(t, m->wk, s->hp, s->dp, dk, t->ldh, n, dx, t->ldx, add);
    locusi_back(t, m->wv, s->hp, s->dp, dv, t->ldh, n, dx, t->ldx, 1);
}

// The table's rows receive their share: dtable[0] += (1-y) d, dtable[1] += y d.
LOCUSI_FN void locusi_owe_table(const locusi_train_core *t, float *const dtable[2], size_t ld,
                                const locusi_train_worker *w, const float *d, size_t width)
{
    size_t i;
    for (i = 0; i < w->count; i++, d += ld) {
        const float y = w->y[i];
        if (y < 1.0f) t->k->axpy(1.0f - y, d, dtable[0] + w->rows[i] * ld, width);
        if (y > 0.0f) t->k->axpy(y, d, dtable[1] + w->rows[i] * ld, width);
    }
}

LOCUSI_FN void locusi_layer_backward(const locusi_train_core *t, locusi_train_worker *w, locusi_train_group *group,
                                     size_t l)
{
    const locus_net *s = &t->shape;
    const locusi_layer_at *at = &t->layout.layer[l];
    const locusi_kept_layer *kept = &w->layer[l];
    const float natural = 1.0f / sqrtf((float)s->dh);
    const size_t ldh = t->ldh, rp = s->rp, ldd = rp + 16;
    float *g = group->gradient, *dinduce = group->dinduce + l * rp * ldh;
    size_t h, i, c, n, from;
    if (s->info.encoder_kind == LOCUS_SAB) {
        locusi_attend_backward(t, w, g, &at->mab2, kept, w->count, w->x[l], w->dx, NULL);
        locusi_keys_backward(t, g, &at->mab2, w->dk2, w->dv2, w->x[l], w->count, w->dx, 1);
        return;
    }
    locusi_attend_backward(t, w, g, &at->mab2, kept, s->r, w->x[l], w->dx, l ? NULL : w->dk);
    if (l == 0) locusi_owe_table(t, group->dq, ldh, w, w->dk, s->hp);
    locusi_keys_backward(t, g, &at->mab2, w->dk2, w->dv2, kept->hm, s->r, w->dhm, 0);
    locusi_block_backward(t, w, g, &at->mab1, &kept->mab1, 0, s->r, w->dhm);
    for (i = 0; i < s->r; i++) t->k->axpy(1.0f, w->dhm + i * t->ldx, g + at->induce + i * s->dp, s->dp);
    // w->dh [r, ldh]: of the inducing vectors' attention outputs
    memset(w->dot, 0, s->heads * rp * sizeof(float));
    for (h = 0; h < s->heads; h++)
        for (i = 0; i < s->r; i++)
            for (c = h * s->dhp; c < h * s->dhp + s->dh; c++)
                w->dot[h * rp + i] += w->dh[i * ldh + c] * kept->mab1.heads[i * ldh + c];
    locusi_pack_rows(s, w->dh, ldh, s->r, 1.0f, w->packed);
    for (from = 0; from < w->count; from += n) {
        n = w->count - from < t->tile ? w->count - from : t->tile;
        for (h = 0; h < s->heads; h++) {
            const float *a = kept->a1 + from * t->lds + h * rp;
            const size_t head = from * ldh + h * s->dhp;
            locusi_matmul_run(t->k, kept->v1 + head, ldh, n, s->dhp, w->packed + h * s->dhp * rp, rp, w->ds, ldd, NULL,
                              NULL, 0, 0);
            t->k->softmax_down_back(a, w->ds, t->lds, ldd, n, rp / 16, w->dot + h * rp, natural);
            locusi_product(t->k, w->ds, ldd, 1, n, s->r, t->induce_queries + l * rp * ldh + h * s->dhp, ldh, 16, s->dhp,
                           w->dk + head, ldh, 0);
            locusi_product(t->k, w->ds, 1, ldd, s->r, n, kept->k1 + head, ldh, 16, s->dhp, dinduce + h * s->dhp, ldh,
                           1);
            locusi_product(t->k, a, t->lds, 1, n, s->r, w->dh + h * s->dhp, ldh, 16, s->dhp, w->dv + head, ldh, 0);
        }
    }
    if (l) {
        locusi_keys_backward(t, g, &at->mab1, w->dk, w->dv, w->x[l], w->count, w->dx, 1);
        return;
    }
    locusi_owe_table(t, group->dk, ldh, w, w->dk, s->hp);
    locusi_owe_table(t, group->dv, ldh, w, w->dv, s->hp);
}

// From w->dz to everything.
LOCUSI_FN void locusi_model_backward(const locusi_train_core *t, locusi_train_worker *w, locusi_train_group *group)
{
    const locus_net *s = &t->shape;
    const locusi_layout *at = &t->layout;
    const float natural = 1.0f / sqrtf((float)s->dh), *x = w->x[s->layers];
    const size_t ldx = t->ldx, hp = t->headsp;
    float *g = group->gradient, *dmean = w->dhm, *dot = w->dot;
    size_t h, c, j, l;
    t->k->axpy(1.0f, w->dz, g + at->out_b, s->dp);
    for (c = 0; c < s->d; c++) t->k->axpy(w->dz[c], w->pool_row, g + at->out + c * s->dp, s->dp);
    locusi_back(t, at->out, s->dp, s->dp, w->dz, s->dp, 1, w->dk2, ldx, 0);
    locusi_block_backward(t, w, g, &at->pool, &w->pool, 0, 1, w->dk2);
    t->k->axpy(1.0f, w->dk2, g + at->seed, s->dp);
    // w->dh [hp]: of the heads' outputs W_v mean
    memset(dmean, 0, hp * ldx * sizeof(float));
    memset(dot, 0, hp * sizeof(float));
    for (h = 0; h < s->heads; h++) {
        for (c = h * s->dhp; c < h * s->dhp + s->dh; c++) {
            t->k->axpy(w->dh[c], t->theta + at->pool.wv + c * s->dp, dmean + h * ldx, s->dp);
            t->k->axpy(w->dh[c], w->pool_mean + h * ldx, g + at->pool.wv + c * s->dp, s->dp);
        }
        for (j = 0; j < s->dp; j++) dot[h] += dmean[h * ldx + j] * w->pool_mean[h * ldx + j];
    }
    for (h = 0; h < hp; h++)
        for (j = 0; j < s->dp; j++)
            w->packed[h / 16 * 16 * s->dp + 16 * j + h % 16] = h < s->heads ? dmean[h * ldx + j] : 0.0f;
    // w->dk as [n, headsp]: of the scores
    locusi_matmul_run(t->k, x, ldx, w->count, s->dp, w->packed, hp, w->dk, hp, NULL, NULL, 0, 0);
    t->k->softmax_down_back(w->pool_a, w->dk, hp, hp, w->count, hp / 16, dot, natural);
    locusi_product(t->k, w->pool_a, hp, 1, w->count, s->heads, dmean, ldx, 16, s->dp, w->dx, ldx, 0);
    locusi_product(t->k, w->dk, hp, 1, w->count, s->heads, t->seed_keys, ldx, 16, s->dp, w->dx, ldx, 1);
    locusi_product(t->k, w->dk, 1, hp, s->heads, w->count, x, ldx, 16, s->dp, dmean, ldx, 0); // now of the seed's keys
    for (h = 0; h < s->heads; h++)
        for (c = h * s->dhp; c < h * s->dhp + s->dh; c++) {
            const float *wk = t->theta + at->pool.wk + c * s->dp;
            float sum = 0.0f;
            t->k->axpy(t->seed_queries[c], dmean + h * ldx, g + at->pool.wk + c * s->dp, s->dp);
            for (j = 0; j < s->dp; j++) sum += wk[j] * dmean[h * ldx + j];
            group->dseed[c] += sum;
        }
    for (l = s->layers; l-- > 0;) locusi_layer_backward(t, w, group, l);
    locusi_owe_table(t, group->dt, ldx, w, w->dx, s->dp);
}

// ---- the predictor's part of a model's step

// From w->z to its logits, and, where there are target scores, the loss and w->dz.
LOCUSI_FN double locusi_model_predict(const locusi_train_core *t, locusi_train_worker *w, locusi_train_group *group,
                                      size_t model)
{
    const locus_net *s = &t->shape;
    const locusi_layout *at = &t->layout;
    const locusi_batch *b = t->batch;
    const float *theta = t->theta, *score = b->target_scores ? b->target_scores + model * b->targets : NULL;
    const size_t n = b->targets, ldg = t->ldg, gp = s->gp, dp = s->dp;
    const float kept = b->dropout_key ? 1.0f / (1.0f - t->dropout) : 1.0f;
    const double weight = score ? (double)b->model_weight[model] : 0.0;
    float *g = group->gradient;
    double loss = 0.0;
    size_t i, j;
    locusi_matmul_run(t->k, w->z, dp, 1, dp, t->forward + at->hz, gp, w->dhz, gp, theta + at->h_b, NULL, 0, 0);
    t->k->scale(t->forward + at->hzu, w->z, dp, gp / 16, w->scaled);
    locusi_matmul_run(t->k, t->u, t->ldx, n, dp, w->scaled, gp, w->pre, ldg, w->dhz, t->hu, ldg, 1);
    if (b->dropout_key) {
        const uint64_t limit = (uint64_t)((double)t->dropout * 65536.0);
        for (i = 0; i < n; i++)
            for (j = 0; j < gp; j += 4) {
                uint64_t r = locusi_mix(b->dropout_key + ((uint64_t)(b->model_id ? b->model_id[model] : model) << 40) +
                                        (uint64_t)i * gp + j);
                size_t c;
                for (c = 0; c < 4; c++, r >>= 16)
                    w->pre[i * ldg + j + c] = (r & 65535u) < limit ? 0.0f : w->pre[i * ldg + j + c] * kept;
            }
    }
    t->k->relu_dot(w->pre, ldg, n, gp, theta + at->last, theta[at->last_b], w->dlogit);
    if (b->logits)
        for (i = 0; i < n; i++) b->logits[i * b->models + model] = w->dlogit[i];
    if (!score) return 0.0;
    memset(w->dpre, 0, n * ldg * sizeof(float));
    for (i = 0; i < n; i++) {
        const double logit = (double)w->dlogit[i], y = (double)score[i];
        float d;
        if (locusi_is_nan(score[i])) continue;
        loss += (logit > 0.0 ? logit : 0.0) + log1p(exp(-fabs(logit))) - y * logit;
        d = (float)((locus_probability(logit) - y) * weight);
        g[at->last_b] += d;
        t->k->axpy(d, w->pre + i * ldg, g + at->last, gp);
        t->k->axpy(d * kept, theta + at->last, w->dpre + i * ldg, gp);
    }
    t->k->relu_back(w->dpre, ldg, w->pre, ldg, n, gp / 16);
    t->k->axpy(1.0f, w->dpre, group->dhu, n * ldg);
    memset(w->dhz, 0, gp * sizeof(float));
    t->k->add_rows(w->dpre, ldg, n, gp / 16, w->dhz);
    t->k->axpy(1.0f, w->dhz, g + at->h_b, gp);
    locusi_back(t, at->hz, gp, dp, w->dhz, gp, 1, w->dz, dp, 0);
    locusi_product(t->k, w->dpre, 1, ldg, gp, n, t->u, t->ldx, 16, dp, w->e, dp, 0);
    for (i = 0; i < gp; i++) {
        const float *row = theta + at->hzu + i * dp, *e = w->e + i * dp;
        float *scaled = w->scaled_rows + i * dp, *owed = g + at->hzu + i * dp;
        t->k->axpy(w->dhz[i], w->z, g + at->hz + i * dp, dp);
        for (j = 0; j < dp; j++) {
            scaled[j] = row[j] * w->z[j];
            owed[j] += e[j] * w->z[j];
            w->dz[j] += e[j] * row[j];
        }
    }
    locusi_product(t->k, w->dpre, ldg, 1, n, gp, w->scaled_rows, dp, 16, dp, group->du, t->ldx, 1);
    return loss * weight;
}

// ---- a step

LOCUSI_FN void locusi_train_models(void *arg, size_t worker)
{
    locusi_train_core *t = (locusi_train_core *)arg;
    const locusi_batch *b = t->batch;
    locusi_train_worker *w = &t->worker[worker];
    size_t item, m, i;
    w->mine = 0;
    while ((item = locusi_next(&t->counter, worker, &w->mine)) < t->groups) {
        locusi_train_group *group = &t->group[item];
        if (b->target_scores && b->add && item == 0)
            memset(group->dinduce, 0, (t->group_floats - t->layout.count) * sizeof(float));
        else if (b->target_scores) memset(group->gradient, 0, t->group_floats * sizeof(float));
        group->loss = 0.0;
        for (m = item * b->models / t->groups; m < (item + 1) * b->models / t->groups; m++) {
            const float *score = b->scores + m * b->rows;
            w->count = 0;
            for (i = 0; i < b->rows; i++)
                if (!locusi_is_nan(score[i])) {
                    w->rows[w->count] = i;
                    w->y[w->count++] = score[i];
                }
            if (!w->count) continue; // the caller sees to it that this is a model without targets
            if (!locusi_model_forward(t, w)) locusi_set_flag(&t->bad);
            if (b->z) memcpy(b->z + m * t->shape.dp, w->z, t->shape.dp * sizeof(float));
            if (b->targets) {
                const double loss = locusi_model_predict(t, w, group, m);
                if (!b->silent || b->model_id[m] < b->silent) group->loss += loss;
            }
            if (b->target_scores) locusi_model_backward(t, w, group);
        }
    }
}

#define LOCUSI_ROW_TASK ((size_t)128)

// The table, and the predictor's part that depends on the queries alone; a task for each 128 rows of both.
LOCUSI_FN void locusi_train_shared(void *arg, size_t worker)
{
    locusi_train_core *t = (locusi_train_core *)arg;
    const locus_net *s = &t->shape;
    const locusi_layout *at = &t->layout;
    const locusi_batch *b = t->batch;
    const size_t tasks = (b->rows + LOCUSI_ROW_TASK - 1) / LOCUSI_ROW_TASK, ldx = t->ldx;
    const size_t all = tasks + (b->targets + LOCUSI_ROW_TASK - 1) / LOCUSI_ROW_TASK;
    size_t item, i, j, n, *mine = &t->worker[worker].mine;
    int y;
    *mine = 0;
    while ((item = locusi_next(&t->counter, worker, mine)) < all) {
        if (item >= tasks) {
            i = (item - tasks) * LOCUSI_ROW_TASK;
            n = b->targets - i < LOCUSI_ROW_TASK ? b->targets - i : LOCUSI_ROW_TASK;
            locusi_matmul_run(t->k, b->target_queries + i * t->qp, t->qp, n, t->qp, t->forward + at->u, s->dp,
                              t->u + i * ldx, ldx, t->theta + at->u_b, NULL, 0, 0);
            locusi_through(t, at->hu, s->gp, s->dp, t->u + i * ldx, ldx, n, t->hu + i * t->ldg, t->ldg);
            continue;
        }
        i = item * LOCUSI_ROW_TASK;
        n = b->rows - i < LOCUSI_ROW_TASK ? b->rows - i : LOCUSI_ROW_TASK;
        locusi_matmul_run(t->k, b->queries + i * t->qp, t->qp, n, t->qp, t->forward + at->a, s->dp, t->t[0] + i * ldx,
                          ldx, t->theta + at->ab, NULL, 0, 0);
        locusi_through(t, at->c, s->dp, t->qp, b->queries + i * t->qp, t->qp, n, t->t[1] + i * ldx, ldx);
        for (j = i; j < i + n; j++) {
            float *zero = t->t[0] + j * ldx, *one = t->t[1] + j * ldx;
            const float *ay = t->theta + at->ay;
            size_t k;
            for (k = 0; k < s->dp; k++) {
                const float p = zero[k], c = one[k];
                zero[k] = p - c;
                one[k] = p + c + ay[k];
            }
        }
        for (y = 0; y < 2 && s->info.encoder_kind == LOCUS_ISAB; y++) {
            const float *x = t->t[y] + i * ldx;
            locusi_through(t, at->layer[0].mab1.wk, s->hp, s->dp, x, ldx, n, t->tk[y] + i * t->ldh, t->ldh);
            locusi_through(t, at->layer[0].mab1.wv, s->hp, s->dp, x, ldx, n, t->tv[y] + i * t->ldh, t->ldh);
            locusi_through(t, at->layer[0].mab2.wq, s->hp, s->dp, x, ldx, n, t->tq[y] + i * t->ldh, t->ldh);
        }
    }
}

// Group 0 <- the sum over the groups, in order; a slice for each worker.
LOCUSI_FN void locusi_train_reduce(void *arg, size_t worker)
{
    locusi_train_core *t = (locusi_train_core *)arg;
    const size_t blocks = t->group_floats / 16, first = worker * blocks / t->workers * 16,
                 end = (worker + 1) * blocks / t->workers * 16;
    size_t i, g, n;
    for (i = first; i < end; i += n) {
        n = end - i < 4096 ? end - i : 4096;
        for (g = 1; g < t->groups; g++) t->k->axpy(1.0f, t->group[g].gradient + i, t->group[0].gradient + i, n);
    }
}

// What is owed to shared rows meets the shared weights. Three parts that touch different weights: the token map's two
// halves, the predictor.
LOCUSI_FN void locusi_train_shared_back(void *arg, size_t worker)
{
    locusi_train_core *t = (locusi_train_core *)arg;
    const locus_net *s = &t->shape;
    const locusi_layout *at = &t->layout;
    const locusi_batch *b = t->batch;
    locusi_train_group *group = &t->group[0];
    float *g = group->gradient;
    size_t item, *mine = &t->worker[worker].mine;
    *mine = 0;
    while ((item = locusi_next(&t->counter, worker, mine)) < 3) {
        if (item == 0) locusi_owe(t, g, at->a, s->dp, t->qp, group->dt[0], t->ldx, b->queries, t->qp, b->rows);
        if (item == 1) locusi_owe(t, g, at->c, s->dp, t->qp, group->dt[1], t->ldx, b->queries, t->qp, b->rows);
        if (item == 2) {
            locusi_owe(t, g, at->hu, s->gp, s->dp, group->dhu, t->ldg, t->u, t->ldx, b->targets);
            locusi_back(t, at->hu, s->gp, s->dp, group->dhu, t->ldg, b->targets, group->du, t->ldx, 1);
            locusi_owe(t, g, at->u, s->dp, t->qp, group->du, t->ldx, b->target_queries, t->qp, b->targets);
            t->k->add_rows(group->du, t->ldx, b->targets, s->dp / 16, g + at->u_b);
        }
    }
}

LOCUSI_FN void locusi_train_table_back(locusi_train_core *t)
{
    const locus_net *s = &t->shape;
    const locusi_layout *at = &t->layout;
    const size_t rows = t->batch->rows, ldx = t->ldx, ldh = t->ldh;
    locusi_train_group *group = &t->group[0];
    float *g = group->gradient;
    size_t l, i, c;
    int y;
    for (l = 0; l < s->layers && s->info.encoder_kind == LOCUS_ISAB; l++) {
        const float *d = group->dinduce + l * s->rp * ldh;
        locusi_owe(t, g, at->layer[l].mab1.wq, s->hp, s->dp, d, ldh, t->theta + at->layer[l].induce, s->dp, s->r);
        locusi_back(t, at->layer[l].mab1.wq, s->hp, s->dp, d, ldh, s->r, g + at->layer[l].induce, s->dp, 1);
    }
    for (c = 0; c < s->hp; c++) t->k->axpy(group->dseed[c], t->theta + at->seed, g + at->pool.wq + c * s->dp, s->dp);
    locusi_back(t, at->pool.wq, s->hp, s->dp, group->dseed, s->hp, 1, g + at->seed, s->dp, 1);
    for (y = 0; y < 2 && s->info.encoder_kind == LOCUS_ISAB; y++) {
        locusi_keys_backward(t, g, &at->layer[0].mab1, group->dk[y], group->dv[y], t->t[y], rows, group->dt[y], 1);
        locusi_owe(t, g, at->layer[0].mab2.wq, s->hp, s->dp, group->dq[y], ldh, t->t[y], ldx, rows);
        locusi_back(t, at->layer[0].mab2.wq, s->hp, s->dp, group->dq[y], ldh, rows, group->dt[y], ldx, 1);
    }
    // t0 = A q + b - C q, t1 = A q + b + C q + w_y
    t->k->add_rows(group->dt[1], ldx, rows, s->dp / 16, g + at->ay);
    for (i = 0; i < rows * ldx; i++) {
        const float zero = group->dt[0][i], one = group->dt[1][i];
        group->dt[0][i] = zero + one;
        group->dt[1][i] = one - zero;
    }
    t->k->add_rows(group->dt[0], ldx, rows, s->dp / 16, g + at->ab);
}

LOCUSI_FN void locusi_train_run(locusi_train_core *t, void (*task)(void *arg, size_t worker))
{
    t->counter.next = 0;
    t->counter.workers = t->workers;
    locusi_run(t->parallel, task, t, t->workers);
}

// The groups' blocks for a step of these sizes; returns the floats of one.
LOCUSI_FN size_t locusi_group_lay(const locusi_train_core *t, locusi_train_group *g, size_t rows, size_t targets)
{
    const locus_net *s = &t->shape;
    const size_t wide = s->info.encoder_kind == LOCUS_ISAB ? rows * t->ldh : 0;
    float *at = g->gradient + t->layout.count;
    int y;
    g->dinduce = at, at += s->layers * s->rp * t->ldh;
    g->dseed = at, at += s->hp;
    for (y = 0; y < 2; y++) {
        g->dt[y] = at, at += rows * t->ldx;
        g->dq[y] = at, at += wide;
        g->dk[y] = at, at += wide;
        g->dv[y] = at, at += wide;
    }
    g->du = at, at += targets * t->ldx;
    g->dhu = at, at += targets * t->ldg;
    return (size_t)(at - g->gradient);
}

// One step: embeddings, logits, and with target scores the mean loss and its gradient in t->group[0].gradient.
// Returns the loss; t->bad is set where a number was not finite.
LOCUSI_FN double locusi_train_step(locusi_train_core *t, const locusi_batch *b)
{
    const size_t work = b->models * b->rows;
    double loss = 0.0;
    size_t i;
    t->batch = b;
    t->bad = 0;
    t->groups = work < 4096 ? 2 : work < 32768 ? 4 : LOCUSI_GROUPS;
    if (t->groups > b->models) t->groups = b->models ? b->models : 1;
    for (i = 0; i < t->groups; i++) t->group_floats = locusi_group_lay(t, &t->group[i], b->rows, b->targets);
    locusi_train_run(t, locusi_train_shared);
    locusi_train_run(t, locusi_train_models);
    for (i = 0; i < t->groups; i++) loss += t->group[i].loss;
    if (!b->target_scores) return 0.0;
    locusi_train_run(t, locusi_train_reduce);
    locusi_train_table_back(t);
    locusi_train_run(t, locusi_train_shared_back);
    return loss;
}

// ---- memory of a step

LOCUSI_FN void locusi_kept_carve(const locusi_train_core *t, locusi_carver *c, locusi_kept *k, size_t n)
{
    k->heads = locusi_carve_floats(c, n, t->ldh);
    k->hat0 = locusi_carve_floats(c, n, t->ldx);
    k->hat1 = locusi_carve_floats(c, n, t->ldx);
    k->inverse0 = locusi_carve_floats(c, n, 1);
    k->inverse1 = locusi_carve_floats(c, n, 1);
    k->f = locusi_carve_floats(c, n, t->ldf);
}

LOCUSI_FN void locusi_train_worker_carve(const locusi_train_core *t, locusi_carver *c, locusi_train_worker *w)
{
    const locus_net *s = &t->shape;
    const int sab = s->info.encoder_kind == LOCUS_SAB;
    const size_t n = t->most_rows, keys = sab ? n : s->rp, kp = locusi_pad(keys);
    const size_t tile = locusi_max(t->tile, s->rp), targets = t->most_targets;
    size_t l;
    for (l = 0; l <= s->layers; l++) w->x[l] = locusi_carve_floats(c, n, t->ldx);
    for (l = 0; l < s->layers; l++) {
        locusi_kept_layer *k = &w->layer[l];
        if (!sab) {
            k->k1 = locusi_carve_floats(c, n, t->ldh);
            k->v1 = locusi_carve_floats(c, n, t->ldh);
            k->a1 = locusi_carve_floats(c, n, t->lds);
            k->hm = locusi_carve_floats(c, s->rp, t->ldx);
            locusi_kept_carve(t, c, &k->mab1, s->rp);
        }
        k->q2 = locusi_carve_floats(c, n, t->ldh);
        k->a2 = locusi_carve_floats(c, n, s->heads * kp + 16);
        k->k2 = locusi_carve_floats(c, keys, t->ldh);
        k->v2 = locusi_carve_floats(c, keys, t->ldh);
        locusi_kept_carve(t, c, &k->mab2, n);
    }
    w->pool_a = locusi_carve_floats(c, n, t->headsp);
    w->pool_mean = locusi_carve_floats(c, t->headsp, t->ldx);
    w->pool_row = locusi_carve_floats(c, 1, t->ldx);
    locusi_kept_carve(t, c, &w->pool, 1);
    w->z = locusi_carve_floats(c, 1, s->dp);
    w->dz = locusi_carve_floats(c, 1, s->dp);
    w->packed = locusi_carve_floats(c, locusi_max(s->hp, s->dp), locusi_max(kp, t->headsp));
    w->dx = locusi_carve_floats(c, n, t->ldx);
    w->dk = locusi_carve_floats(c, n, t->ldh);
    w->dv = locusi_carve_floats(c, n, t->ldh);
    w->dk2 = locusi_carve_floats(c, locusi_max(keys, 1), t->ldh);
    w->dv2 = locusi_carve_floats(c, locusi_max(keys, 1), t->ldh);
    w->dhm = locusi_carve_floats(c, locusi_max(s->rp, t->headsp), t->ldx);
    w->o = locusi_carve_floats(c, tile, t->ldx);
    w->df = locusi_carve_floats(c, tile, t->ldf);
    w->dh = locusi_carve_floats(c, tile, t->ldh);
    w->dq = locusi_carve_floats(c, tile, t->ldh);
    w->ds = locusi_carve_floats(c, tile, kp + 16);
    w->dot = locusi_carve_floats(c, locusi_max(s->heads * s->rp, t->headsp), 1);
    w->scaled = locusi_carve_floats(c, s->gp, s->dp);
    w->scaled_rows = locusi_carve_floats(c, s->gp, s->dp);
    w->e = locusi_carve_floats(c, s->gp, s->dp);
    w->dhz = locusi_carve_floats(c, s->gp, 1);
    w->pre = locusi_carve_floats(c, targets, t->ldg);
    w->dpre = locusi_carve_floats(c, targets, t->ldg);
    w->dlogit = locusi_carve_floats(c, targets, 1);
    w->rows = (size_t *)locusi_carve(c, n, sizeof(size_t));
    w->y = locusi_carve_floats(c, n, 1);
}

// Lay out everything for steps of at most these sizes (base NULL: count). The shape must be set.
LOCUSI_FN void locusi_train_carve(locusi_train_core *t, locusi_carver *c, size_t most_rows, size_t most_targets)
{
    const locus_net *s = &t->shape;
    size_t i, floats;
    t->qp = locusi_pad(s->q);
    t->ldx = s->dp + 16;
    t->ldh = s->hp + 16;
    t->ldf = s->fp + 16;
    t->ldg = s->gp + 16;
    t->lds = s->heads * s->rp + 16;
    t->headsp = locusi_pad(s->heads);
    t->tile = LOCUSI_TILE;
    t->most_rows = most_rows;
    t->most_targets = most_targets;
    t->zeros = locusi_max(most_rows, s->r);
    t->workers = locusi_workers(t->parallel);
    if (t->workers > LOCUSI_GROUPS) t->workers = LOCUSI_GROUPS;
    locusi_layout_make(&t->layout, s, NULL);
    t->layout.params = (locusi_param *)locusi_carve(c, t->layout.param_count, sizeof(locusi_param));
    if (c->base) locusi_layout_make(&t->layout, s, t->layout.params);
    t->theta = locusi_carve_floats(c, t->layout.count, 1);
    t->forward = locusi_carve_floats(c, t->layout.count, 1);
    t->backward = locusi_carve_floats(c, t->layout.count, 1);
    t->live = locusi_carve_floats(c, s->dp, 1);
    t->no_column = locusi_carve_floats(c, t->zeros + 16, 1);
    t->induce_queries = locusi_carve_floats(c, s->layers * s->rp, t->ldh);
    t->packed_induce = locusi_carve_floats(c, s->layers * s->rp, s->hp);
    t->seed_queries = locusi_carve_floats(c, s->hp, 1);
    t->packed_seed = locusi_carve_floats(c, s->dp, t->headsp);
    t->seed_keys = locusi_carve_floats(c, t->headsp, t->ldx);
    for (i = 0; i < 2; i++) {
        t->t[i] = locusi_carve_floats(c, most_rows, t->ldx);
        if (s->info.encoder_kind == LOCUS_SAB) continue;
        t->tq[i] = locusi_carve_floats(c, most_rows, t->ldh);
        t->tk[i] = locusi_carve_floats(c, most_rows, t->ldh);
        t->tv[i] = locusi_carve_floats(c, most_rows, t->ldh);
    }
    t->u = locusi_carve_floats(c, most_targets, t->ldx);
    t->hu = locusi_carve_floats(c, most_targets, t->ldg);
    t->worker = (locusi_train_worker *)locusi_carve(c, t->workers, sizeof(locusi_train_worker));
    t->group = (locusi_train_group *)locusi_carve(c, LOCUSI_GROUPS, sizeof(locusi_train_group));
    for (i = 0; i < t->workers; i++) {
        locusi_train_worker unused;
        locusi_train_worker_carve(t, c, c->base ? &t->worker[i] : &unused);
    }
    floats = t->layout.count + s->layers * s->rp * t->ldh + s->hp + most_rows * 2 * (t->ldx + 3 * t->ldh) +
             most_targets * (t->ldx + t->ldg);
    for (i = 0; i < LOCUSI_GROUPS; i++) {
        float *block = locusi_carve_floats(c, floats, 1);
        if (c->base) t->group[i].gradient = block;
    }
    if (!c->base) return;
    for (i = 0; i < s->d; i++) t->live[i] = 1.0f;
    for (i = 0; i < 16; i++) t->no_column[t->zeros + i] = -1e30f;
}

// ---- weights in and out

// The net of these sizes has this many tensors; the layout's are made from them.
LOCUSI_FN size_t locusi_train_tensors(const locus_net *s) { return locusi_encoder_tensors(s) + LOCUSI_DECODER_TENSORS; }

// flat <- the tensors of a checked file
LOCUSI_FN locus_status locusi_train_load(const locusi_train_core *t, const locus_safetensors *st, float *flat,
                                         locus_error *err)
{
    const char *last = locusi_last_name(st);
    const locus_tensor *tensor;
    locusi_spec spec;
    locus_status status;
    size_t i, r, c;
    memset(flat, 0, t->layout.count * sizeof(float));
    for (i = 0; i < t->layout.param_count; i++) {
        const locusi_param *p = &t->layout.params[i];
        locusi_spec_at(&t->shape, p->tensor, last, &spec);
        if ((status = locusi_check_tensor(st, &spec, &tensor, err))) return status;
        for (r = 0; r < p->rows; r++)
            for (c = 0; c < p->columns; c++)
                locus_tensor_to_f32(tensor, p->first + r * p->row_step + c * p->column_step, 1,
                                    flat + locusi_param_at(&t->shape, p, r, c), NULL);
    }
    return LOCUS_OK;
}

// Where each tensor begins in an array of all weights without pads, in the order of the specification.
LOCUSI_FN size_t locusi_train_offset(const locus_net *s, size_t tensor)
{
    size_t i, at = 0;
    locusi_spec spec;
    for (i = 0; i < tensor; i++) {
        locusi_spec_at(s, i, "", &spec);
        at += spec.shape[0] * (spec.rank > 1 ? spec.shape[1] : 1) * (spec.rank > 2 ? spec.shape[2] : 1);
    }
    return at;
}

// out <- the flat array as the tensors hold it, one after the other, little-endian
LOCUSI_FN void locusi_train_store(const locusi_train_core *t, const float *flat, unsigned char *out)
{
    size_t i, r, c;
    for (i = 0; i < t->layout.param_count; i++) {
        const locusi_param *p = &t->layout.params[i];
        const size_t at = locusi_train_offset(&t->shape, p->tensor);
        for (r = 0; r < p->rows; r++)
            for (c = 0; c < p->columns; c++)
                locusi_put32(out + 4 * (at + p->first + r * p->row_step + c * p->column_step),
                             locusi_f32_bits(flat[locusi_param_at(&t->shape, p, r, c)]));
    }
}

// ---- random numbers: counter-based, so that a draw depends on (seed, what for, epoch, index) alone
//
// bits = mix(mix(mix(seed + a stream) + b epoch) + c index) with mix as for hashes (see >>net) and the odd constants
// below. Uniform: the upper 53 bits. Normal: Box and Muller, a pair from the two halves.

typedef enum locusi_stream {
    LOCUSI_STREAM_WEIGHTS = 1,
    LOCUSI_STREAM_NOISE,
    LOCUSI_STREAM_TARGET_NOISE,
    LOCUSI_STREAM_SIZE,
    LOCUSI_STREAM_SUBSET,
    LOCUSI_STREAM_TARGETS,
    LOCUSI_STREAM_DROPOUT,
    LOCUSI_STREAM_VIRTUAL,
    LOCUSI_STREAM_ANSWERS,
    LOCUSI_STREAM_UNLABELLED
} locusi_stream;

LOCUSI_FN uint64_t locusi_random(uint64_t seed, locusi_stream stream, size_t epoch, uint64_t index)
{
    uint64_t h = locusi_mix(seed + (uint64_t)stream * 0x9e3779b97f4a7c15u);
    h = locusi_mix(h + (uint64_t)epoch * 0xc2b2ae3d27d4eb4fu);
    return locusi_mix(h + index * 0x165667b19e3779f9u);
}

LOCUSI_FN double locusi_uniform(uint64_t bits) { return (double)(bits >> 11) / 9007199254740992.0; }

// Two standard normal numbers.
LOCUSI_FN void locusi_normal(uint64_t bits, float *a, float *b)
{
    const float u = ((float)(uint32_t)(bits >> 40) + 0.5f) * (1.0f / 16777216.0f);
    const float angle = (float)(uint32_t)(bits & 0xffffffu) * (float)(6.283185307179586 / 16777216.0);
    const float radius = sqrtf(-2.0f * logf(u));
    *a = radius * cosf(angle);
    *b = radius * sinf(angle);
}

// order <- a random permutation of [0, n), its first `take` places
LOCUSI_FN void locusi_shuffle(uint64_t seed, locusi_stream stream, size_t epoch, size_t *order, size_t n, size_t take)
{
    size_t i;
    for (i = 0; i < n; i++) order[i] = i;
    for (i = 0; i < take && i + 1 < n; i++) {
        const size_t at = i + (size_t)(locusi_random(seed, stream, epoch, i) % (n - i)), swap = order[at];
        order[at] = order[i];
        order[i] = swap;
    }
}

// ---- the trainer

typedef struct locusi_key {
    double key;
    size_t at;
} locusi_key;

struct locus_trainer {
    locusi_train_core core;
    locus_train_data data;
    locus_train_opts o; // resolved
    char query_encoder[96];
    size_t n, validation, virtuals, unlabelled, stride;
    float scale; // encodings are multiplied by this: unit mean square of an entry
    float *m, *v, *average, *best;
    float *queries;            // [train, qp] scaled
    float *validation_queries; // [validation, qp] scaled
    float *scores;             // [models, train]
    float *validation_scores;  // [models, validation]
    float *step_queries, *target_queries, *step_scores, *target_scores, *model_weight;
    size_t *subset, *targets, *order, *model_id;
    locusi_key *keys;
    float *z, *logits;
    void *metrics_work;
    size_t metrics_bytes;
    // for virtual models: the pool's item-response model
    float *difficulty;      // [train + unlabelled] f
    double *item;           // [train] t - f
    float *own;             // [models, train + unlabelled] h_m
    double ability, spread; // mean and deviation of the models' logit(mu)
    float *told;            // [validation, models] the memory's logits
    double recall_weight;   // that suits it beside `best`; 0: not known
    double strength;        // of a virtual model's own differences, at most, as a factor of the real ones'
    uint64_t data_hash;
    // progress
    size_t epoch, best_epoch;
    double best_value;
    locus_metrics best_metrics;
    int finished;
    void *owned;
};

// NaN stays, to be refused.
LOCUSI_FN double locusi_or(double value, double recipe)
{
    if (locusi_within(value, 0.0, 0.0)) return recipe;
    return locusi_within(value, -DBL_MAX, 0.0) ? 0.0 : value;
}

LOCUSI_FN size_t locusi_or_size(size_t value, size_t recipe) { return value ? value : recipe; }

LOCUSI_FN void locusi_train_resolve(locus_train_opts *o, const locus_train_data *data)
{
    const int paper = o->recipe == LOCUS_RECIPE_PAPER;
    const size_t n = data->train_count;
    o->z_dim = locusi_or_size(o->z_dim, 128);
    o->n_heads = locusi_or_size(o->n_heads, 4);
    o->n_layers = locusi_or_size(o->n_layers, paper ? 2 : 1);
    o->m_induce = locusi_or_size(o->m_induce, paper ? 64 : 16);
    o->decoder_hidden = locusi_or_size(o->decoder_hidden, 64);
    o->epochs = locusi_or_size(o->epochs, paper ? 2500 : n < 128 ? 150 : 300);
    o->patience = locusi_or_size(o->patience, paper ? 500 : SIZE_MAX);
    o->evaluate_every = locusi_or_size(o->evaluate_every, paper ? 1 : 20);
    if (o->keep == LOCUS_KEEP_DEFAULT) o->keep = paper ? LOCUS_KEEP_HIT1 : LOCUS_KEEP_BCE;
    o->average = locusi_or(o->average, paper ? 0.0 : 0.95);
    o->encoder_rate = locusi_or(o->encoder_rate, paper ? 2e-4 : 1e-3);
    o->predictor_rate = locusi_or(o->predictor_rate, paper ? 8e-4 : 2e-3);
    if (o->warmup == 0) o->warmup = paper ? -1 : 10;
    o->weight_decay = locusi_or(o->weight_decay, 0.05);
    o->clip = locusi_or(o->clip, 1.0);
    o->dropout = locusi_or(o->dropout, 0.1);
    o->noise = locusi_or(o->noise, paper ? 0.10 : 0.05);
    o->subset_min = locusi_or_size(o->subset_min, paper ? n : 16);
    o->subset_max = locusi_or_size(o->subset_max, paper ? n : 1024);
    if (!paper && o->subset_max > (3 * n + 3) / 4) o->subset_max = (3 * n + 3) / 4;
    if (o->subset_max > n) o->subset_max = n;
    if (o->subset_min > o->subset_max) o->subset_min = o->subset_max;
    o->skew = locusi_or(o->skew, paper ? 0.0 : 0.3);
    o->targets = locusi_or_size(o->targets, paper ? n : n < 512 ? 256 : n < 2048 ? n / 2 : 1024);
    if (o->targets > n) o->targets = n;
    o->seen = locusi_or(o->seen, paper ? 1.0 : 0.25);
    o->virtual_models = o->virtual_models == SIZE_MAX ? 0 : locusi_or_size(o->virtual_models, paper ? 0 : 26);
    o->separate_noise = o->separate_noise ? o->separate_noise > 0 : paper;
    if (o->parts == 0) o->parts = 1;
}

LOCUSI_FN int locusi_data_score(const locus_train_data *d, size_t model, size_t row, float *y)
{
    if (locusi_score(&d->evals, model, row, y)) return 1;
    *y = locusi_nan();
    return 0;
}

LOCUSI_FN locus_status locusi_train_check(const locus_train_data *d, const locus_train_opts *o, locus_error *err)
{
    const locus_queries *q = &d->evals.queries;
    const size_t *list[3];
    const char *const name[3] = {"train", "validation", "unlabelled"};
    size_t count[3], k, i, m, c;
    locus_status status;
    float y;
    list[0] = d->train, list[1] = d->validation, list[2] = d->unlabelled;
    count[0] = d->train_count, count[1] = d->validation_count, count[2] = d->unlabelled ? d->unlabelled_count : 0;
    if (!q->encodings) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "queries.encodings", "an array", "NULL");
    if (q->dim == 0 || q->dim > 1u << 16)
        return locusi_fail(err, LOCUS_ERR_QUERY_DIM, "queries.dim", "1 to 65536", "%z", q->dim);
    if (q->stride && q->stride < q->dim)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "queries.stride", "0 or at least %z", "%z", q->dim, q->stride);
    if ((status = locusi_check_table(&d->evals.scores, 0, q->count, err))) return status;
    if (!d->train || d->train_count == 0)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "train", "at least one row", "none");
    for (k = 0; k < 3; k++) {
        if (count[k] && !list[k]) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a list", "NULL", name[k]);
        for (i = 0; i < count[k]; i++) {
            const float *row;
            if (list[k][i] >= q->count)
                return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s[%z]", "below %z", "%z", name[k], i, q->count,
                                   list[k][i]);
            row = q->encodings + list[k][i] * (q->stride ? q->stride : q->dim);
            for (c = 0; c < q->dim; c++)
                if (!(locusi_finite(row[c]) && fabsf(row[c]) < 1e6f))
                    return locusi_fail(err, LOCUS_ERR_NONFINITE, "encodings[%z, %z]",
                                       "a finite number of sensible size", "%f", list[k][i], c, (double)row[c]);
        }
    }
    for (m = 0; m < d->evals.scores.models; m++) {
        size_t used = 0;
        for (k = 0; k < 2; k++)
            for (i = 0; i < count[k]; i++) {
                if (!locusi_data_score(d, m, list[k][i], &y)) continue;
                used += k == 0;
                if (!(y >= 0.0f && y <= 1.0f))
                    return locusi_fail(err, LOCUS_ERR_SCORE, "scores[%z, %z]", "0 to 1, or missing", "%f", m,
                                       list[k][i], (double)y);
            }
        if (!used) return locusi_fail(err, LOCUS_ERR_EMPTY_SET, "model %z", "at least one training score", "none", m);
    }
    if ((unsigned)o->recipe > LOCUS_RECIPE_PAPER || (unsigned)o->keep > LOCUS_KEEP_LAST ||
        (unsigned)o->encoder_kind > LOCUS_SAB)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "recipe, keep, encoder_kind", "one of the enumeration",
                           "%d, %d, %d", (int)o->recipe, (int)o->keep, (int)o->encoder_kind);
    if (locusi_is_nan((float)o->clip)) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "clip", "a number", "%f", o->clip);
    if (!(locusi_within(o->encoder_rate, 0.0, 1e30) && locusi_within(o->predictor_rate, 0.0, 1e30) &&
          locusi_within(o->weight_decay, 0.0, 1e30) && locusi_within(o->noise, 0.0, 1e30)))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "encoder_rate, predictor_rate, weight_decay, noise",
                           "numbers of sensible size", "%f, %f, %f, %f", o->encoder_rate, o->predictor_rate,
                           o->weight_decay, o->noise);
    if (o->z_dim % o->n_heads)
        return locusi_fail(err, LOCUS_ERR_METADATA, "n_heads", "a divisor of z_dim = %z", "%z", o->z_dim, o->n_heads);
    if (o->n_layers > LOCUSI_MAX_LAYERS)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "n_layers", "at most %d", "%z", (int)LOCUSI_MAX_LAYERS,
                           o->n_layers);
    if (o->z_dim > 4096 || o->m_induce > 4096 || o->decoder_hidden > 4096)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "z_dim, m_induce, decoder_hidden", "at most 4096", "%z, %z, %z",
                           o->z_dim, o->m_induce, o->decoder_hidden);
    if (!locusi_within(o->dropout, 0.0, 1.0) || o->dropout >= 1.0)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "dropout", "below 1", "%f", o->dropout);
    if (!locusi_within(o->average, 0.0, 1.0) || o->average >= 1.0)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "average", "below 1", "%f", o->average);
    if (!(locusi_within(o->seen, 0.0, 1.0) && locusi_within(o->skew, 0.0, 1.0)))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "seen, skew", "at most 1", "%f, %f", o->seen, o->skew);
    if (o->part >= o->parts)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "part", "below parts = %z", "%z", o->parts, o->part);
    if (d->query_encoder && !locusi_valid_name(d->query_encoder, 96))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "query_encoder", "at most 95 bytes of UTF-8", "another");
    if (d->text) {
        char own[LOCUS_TEXT_NAME_BYTES];
        const locus_status bad = locus_text_name(d->text, own, err);
        if (bad) return bad;
        if (d->text->dim != d->evals.queries.dim)
            return locusi_fail(err, LOCUS_ERR_QUERY_DIM, "text->dim", "%z, the encodings' length", "%z",
                               d->evals.queries.dim, d->text->dim);
        if (d->query_encoder && strcmp(d->query_encoder, own))
            return locusi_fail(err, LOCUS_ERR_MISMATCH, "query_encoder", "\"%s\", of the text encoder", "\"%s\"", own,
                               d->query_encoder);
    }
    return LOCUS_OK;
}

// Initial weights, method.md: linear maps and their biases uniform in +-1/sqrt(inputs), I in +-sqrt(6/((r+1) d)), S
// standard normal, layer norms 1 and 0.
LOCUSI_FN void locusi_train_initial(locus_trainer *t)
{
    locusi_train_core *core = &t->core;
    const locus_net *s = &core->shape;
    size_t i, r, c;
    locusi_spec spec;
    for (i = 0; i < core->layout.param_count; i++) {
        const locusi_param *p = &core->layout.params[i];
        const char *name = spec.name;
        size_t n;
        double bound;
        locusi_spec_at(s, p->tensor, "last", &spec);
        n = strlen(name);
        for (r = 0; r < p->rows; r++)
            for (c = 0; c < p->columns; c++) {
                const uint64_t bits = locusi_random(t->o.seed, LOCUSI_STREAM_WEIGHTS, p->tensor,
                                                    p->first + r * p->row_step + c * p->column_step);
                float *to = core->theta + locusi_param_at(s, p, r, c), unused;
                if (strstr(name, ".ln0.") || strstr(name, ".ln1.")) {
                    *to = name[n - 1] == 't' ? 1.0f : 0.0f;
                    continue;
                }
                if (!strcmp(name, "encoder.pma.S")) {
                    locusi_normal(bits, to, &unused);
                    continue;
                }
                if (name[n - 1] == 'I') bound = sqrt(6.0 / (((double)s->r + 1.0) * (double)s->d));
                else if (name[n - 1] == 't') bound = 1.0 / sqrt((double)spec.shape[1]); // .weight [out, in]
                else if (strstr(name, "input.0")) bound = 1.0 / sqrt(2.0 * (double)s->q + 1.0);
                else if (strstr(name, "rff.net.2")) bound = 1.0 / sqrt((double)s->f);
                else if (strstr(name, "decoder.U")) bound = 1.0 / sqrt((double)s->q);
                else if (strstr(name, "mlp_head.0")) bound = 1.0 / sqrt(3.0 * (double)s->d);
                else if (!strcmp(name, "last.bias")) bound = 1.0 / sqrt((double)s->g);
                else bound = 1.0 / sqrt((double)s->d);
                *to = (float)((2.0 * locusi_uniform(bits) - 1.0) * bound);
            }
    }
}

LOCUSI_FN void locusi_train_place(locus_trainer *t, locusi_carver *c)
{
    locusi_train_core *core = &t->core;
    const size_t n = t->n, models = t->data.evals.scores.models, all = models + t->virtuals;
    const size_t targets = t->o.targets + t->unlabelled, most = locusi_max(targets, t->validation);
    size_t count;
    locusi_train_carve(core, c, n, locusi_max(most, 1));
    count = core->layout.count;
    t->m = locusi_carve_floats(c, count, 1);
    t->v = locusi_carve_floats(c, count, 1);
    t->best = locusi_carve_floats(c, count, 1);
    t->average = locusi_carve_floats(c, count, 1);
    t->queries = locusi_carve_floats(c, n, core->qp);
    t->validation_queries = locusi_carve_floats(c, t->validation, core->qp);
    t->scores = locusi_carve_floats(c, models, n);
    t->validation_scores = locusi_carve_floats(c, models, t->validation);
    t->step_queries = locusi_carve_floats(c, n, core->qp);
    t->target_queries = locusi_carve_floats(c, targets, core->qp);
    t->step_scores = locusi_carve_floats(c, all, n);
    t->target_scores = locusi_carve_floats(c, all, targets);
    t->model_weight = locusi_carve_floats(c, all, 1);
    t->model_id = (size_t *)locusi_carve(c, all, sizeof(size_t));
    t->subset = (size_t *)locusi_carve(c, n, sizeof(size_t));
    t->targets = (size_t *)locusi_carve(c, n + t->unlabelled, sizeof(size_t));
    t->order = (size_t *)locusi_carve(c, n, sizeof(size_t));
    t->keys = (locusi_key *)locusi_carve(c, n, sizeof(locusi_key));
    t->z = locusi_carve_floats(c, models, core->shape.dp);
    t->logits = locusi_carve_floats(c, t->validation, models);
    t->metrics_bytes = locus_metrics_workspace(t->validation, models);
    t->metrics_work = locusi_carve(c, t->metrics_bytes, 1);
    if (!t->virtuals) return;
    t->difficulty = locusi_carve_floats(c, n + t->data.unlabelled_count, 1);
    t->item = (double *)locusi_carve(c, n, sizeof(double));
    t->own = locusi_carve_floats(c, models, n + t->data.unlabelled_count);
    t->told = locusi_carve_floats(c, t->validation, models);
}

LOCUSI_FN const float *locusi_data_row(const locus_trainer *t, size_t row)
{
    return t->data.evals.queries.encodings + row * t->stride;
}

// How strong a virtual model's own differences are at most, in deviations of the pool's: strong ones make the encoder
// tell specialists apart.
#define LOCUSI_VIRTUAL_STRENGTH 10.0

// The item-response model that virtual models are drawn from: the memory's fit, evaluated on every row that a step can
// ask about. And what the memory says of the validation queries.
LOCUSI_FN locus_status locusi_train_response(locus_trainer *t, locus_error *err)
{
    const size_t n = t->n, extra = t->data.unlabelled_count, all = n + extra, q = t->data.evals.queries.dim;
    const size_t models = t->data.evals.scores.models;
    const locusi_kernels *k = t->core.k;
    locusi_recall memory;
    locusi_recall_fit fit;
    locus_evals evals;
    locus_queries map;
    locusi_carver c = {NULL, 0, 0};
    float *rows, *kernels, *x, *base;
    size_t i, j, l;
    locus_status status;
    void *block = NULL;
    int attempt;
    memset(&memory, 0, sizeof memory);
    memset(&fit, 0, sizeof fit);
    memset(&evals, 0, sizeof evals);
    memory.q = q;
    memory.rank = locusi_recall_rank(q);
    memory.landmarks = locusi_pad(all < LOCUSI_RECALL_LANDMARKS ? all : LOCUSI_RECALL_LANDMARKS);
    for (attempt = 0; attempt < 2; attempt++) {
        c.used = 0;
        locusi_recall_carve(&memory, &c, 1);
        rows = locusi_carve_floats(&c, all, q);
        kernels = locusi_carve_floats(&c, all, memory.landmarks);
        x = locusi_carve_floats(&c, all, memory.rank);
        fit.own = locusi_carve_floats(&c, models, memory.landmarks);
        fit.rows = locusi_carve_floats(&c, models, memory.landmarks);
        base = fit.base = locusi_carve_floats(&c, models, 1);
        if (attempt) break;
        if (c.failed || !(block = LOCUS_MALLOC(c.used + 64)))
            return locusi_fail(err, LOCUS_ERR_MEMORY, "trainer", "%z bytes", "none", c.used);
        memset(block, 0, c.used + 64);
        c.base = locusi_align(block);
    }
    for (i = 0; i < all; i++)
        memcpy(rows + i * q, locusi_data_row(t, i < n ? t->data.train[i] : t->data.unlabelled[i - n]),
               q * sizeof(float));
    fit.item = t->item;
    evals.queries.encodings = rows;
    evals.queries.count = n;
    evals.queries.dim = q;
    evals.scores.models = models;
    evals.scores.f32 = t->scores;
    map = evals.queries;
    if (extra) {
        map.encodings = rows + n * q;
        map.count = extra;
    }
    status = locusi_recall_fit_to(&memory, k, &evals, &map, &fit, err);
    if (!status) {
        double sum = 0.0, square = 0.0, squares = 0.0;
        locusi_recall_kernels(&memory, k, rows, q, all, x, kernels);
        for (i = 0; i < all; i++) {
            const float *row = kernels + i * memory.landmarks;
            for (j = 0; j <= models; j++) {
                const float *own = j < models ? fit.own + j * memory.landmarks : memory.shared;
                float s = 0.0f;
                for (l = 0; l < memory.landmarks; l++) s += own[l] * row[l];
                *(j < models ? &t->own[j * all + i] : &t->difficulty[i]) = s;
            }
        }
        for (i = 0; i < t->validation; i++) {
            locusi_recall_kernels(&memory, k, locusi_data_row(t, t->data.validation[i]), q, 1, x, kernels);
            for (j = 0; j < models; j++) {
                float s = base[j];
                for (l = 0; l < memory.landmarks; l++) s += fit.rows[j * memory.landmarks + l] * kernels[l];
                t->told[i * models + j] = locusi_chance_logit(s);
            }
        }
        for (j = 0; j < models; j++) base[j] = (float)log((double)base[j] / (1.0 - (double)base[j]));
        for (j = 0; j < models; j++) sum += (double)base[j] / (double)models;
        for (j = 0; j < models; j++) square += ((double)base[j] - sum) * ((double)base[j] - sum) / (double)models;
        for (i = 0; i < all * models; i++) squares += (double)t->own[i] * (double)t->own[i];
        squares /= (double)all; // a mixture of all models' differences has this variance
        t->strength = squares > 0.0 ? LOCUSI_VIRTUAL_STRENGTH * sqrt(memory.own / squares) : 0.0;
        t->ability = sum;
        t->spread = sqrt(square);
    }
    LOCUS_FREE(block);
    return status;
}

// A step walks through tens of megabytes: large pages where the system gives them on request (3 % of its time).
LOCUSI_FN void locusi_large_pages(void *block, size_t bytes)
{
#if !defined(LOCUS_NO_STDIO) && defined(MADV_HUGEPAGE)
    const size_t page = (size_t)1 << 21, skip = (page - (size_t)(uintptr_t)block % page) % page;
    if (bytes > skip + page) (void)madvise((unsigned char *)block + skip, (bytes - skip) / page * page, MADV_HUGEPAGE);
#else
    (void)block, (void)bytes;
#endif
}

LOCUS_API locus_status locus_train_create(locus_trainer **out, const locus_train_data *data,
                                          const locus_train_opts *opts, locus_error *err)
{
    locus_trainer plan, *t;
    locus_net *s = &plan.core.shape;
    locusi_carver c = {NULL, 0, 0};
    locus_isa isa = opts ? opts->isa : LOCUS_ISA_AUTO;
    size_t i, j, k;
    double square = 0.0;
    locus_status status;
    if (!out || !data) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", out ? "data" : "out");
    *out = NULL;
    memset(&plan, 0, sizeof plan);
    plan.data = *data;
    if (opts) plan.o = *opts;
    locusi_train_resolve(&plan.o, data);
    if (!data->unlabelled) plan.data.unlabelled_count = 0;
    if ((status = locusi_train_check(data, &plan.o, err)) || (status = locusi_isa_choose(&isa, err))) return status;
    plan.o.isa = isa;
    plan.n = data->train_count;
    plan.validation = data->validation_count;
    plan.stride = data->evals.queries.stride ? data->evals.queries.stride : data->evals.queries.dim;
    if (plan.validation == 0) plan.o.keep = LOCUS_KEEP_LAST;
    plan.virtuals = plan.o.virtual_models;
    plan.unlabelled = plan.virtuals ? 256 : 0;
    s->q = data->evals.queries.dim;
    s->d = plan.o.z_dim;
    s->heads = plan.o.n_heads;
    s->dh = s->d / s->heads;
    s->layers = plan.o.n_layers;
    s->r = plan.o.encoder_kind == LOCUS_SAB ? 0 : plan.o.m_induce;
    s->f = 2 * s->d;
    s->g = plan.o.decoder_hidden;
    s->info.encoder_kind = plan.o.encoder_kind;
    s->info.has_encoder = 1;
    {
        locusi_carver sizes = {NULL, 0, 0};
        locusi_net_carve(s, &sizes); // sets the padded sizes
    }
    plan.core.k = locusi_kernels_for(isa);
    plan.core.parallel = plan.o.parallel;
    plan.core.dropout = (float)plan.o.dropout;
    locusi_carve(&c, 1, sizeof plan);
    locusi_train_place(&plan, &c);
    if (c.failed) return locusi_fail(err, LOCUS_ERR_OVERFLOW, "trainer", "sizes that fit the address space", "more");
    plan.owned = LOCUS_MALLOC(c.used + 64);
    if (!plan.owned) return locusi_fail(err, LOCUS_ERR_MEMORY, "trainer", "%z bytes", "none", c.used + 64);
    locusi_large_pages(plan.owned, c.used + 64);
    memset(plan.owned, 0, c.used + 64);
    c.base = locusi_align(plan.owned);
    c.used = 0;
    t = (locus_trainer *)locusi_carve(&c, 1, sizeof plan);
    *t = plan;
    locusi_train_place(t, &c);
    if (data->text) locus_text_name(data->text, t->query_encoder, NULL);
    else if (data->query_encoder) memcpy(t->query_encoder, data->query_encoder, strlen(data->query_encoder) + 1);
    t->data.query_encoder = t->query_encoder;
    for (i = 0; i < t->n; i++)
        for (j = 0; j < s->q; j++) {
            const double x = (double)locusi_data_row(t, data->train[i])[j];
            square += x * x;
        }
    // PAPER takes the encodings as they are; BEST brings their entries to unit mean square, which the saved weights
    // undo
    t->scale = plan.o.recipe == LOCUS_RECIPE_PAPER || square <= 0.0
                   ? 1.0f
                   : (float)sqrt((double)t->n * (double)data->evals.queries.dim / square);
    if (!(t->scale < LOCUSI_LARGEST_SCALE)) t->scale = LOCUSI_LARGEST_SCALE;
    t->data_hash = locusi_mix(locusi_mix(data->evals.scores.models + t->n) ^ t->validation);
    for (i = 0; i < t->n; i++)
        for (j = 0; j < data->evals.queries.dim; j++) {
            const float x = locusi_data_row(t, data->train[i])[j];
            t->queries[i * t->core.qp + j] = x * t->scale;
            t->data_hash = locusi_mix(t->data_hash ^ locusi_f32_bits(x));
        }
    for (i = 0; i < t->validation; i++)
        for (j = 0; j < data->evals.queries.dim; j++) {
            const float x = locusi_data_row(t, data->validation[i])[j];
            t->validation_queries[i * t->core.qp + j] = x * t->scale;
            t->data_hash = locusi_mix(t->data_hash ^ locusi_f32_bits(x));
        }
    for (i = 0; i < t->data.unlabelled_count; i++)
        for (j = 0; j < data->evals.queries.dim; j++)
            t->data_hash = locusi_mix(t->data_hash ^ locusi_f32_bits(locusi_data_row(t, data->unlabelled[i])[j]));
    for (k = 0; k < data->evals.scores.models; k++) {
        for (i = 0; i < t->n; i++) {
            locusi_data_score(data, k, data->train[i], &t->scores[k * t->n + i]);
            t->data_hash = locusi_mix(t->data_hash ^ locusi_f32_bits(t->scores[k * t->n + i]));
        }
        for (i = 0; i < t->validation; i++) {
            float *y = &t->validation_scores[k * t->validation + i];
            locusi_data_score(data, k, data->validation[i], y);
            t->data_hash = locusi_mix(t->data_hash ^ locusi_f32_bits(*y));
        }
    }
    if (t->virtuals && (status = locusi_train_response(t, err))) {
        locus_train_destroy(t);
        return status;
    }
    locusi_train_initial(t);
    memcpy(t->average, t->core.theta, t->core.layout.count * sizeof(float));
    memcpy(t->best, t->core.theta, t->core.layout.count * sizeof(float));
    t->best_value = 0.0;
    *out = t;
    return LOCUS_OK;
}

LOCUS_API void locus_train_destroy(locus_trainer *trainer)
{
    if (trainer) LOCUS_FREE(trainer->owned);
}

LOCUS_API locus_train_opts locus_train_options(const locus_trainer *trainer) { return trainer->o; }

// ---- what a step sees

// to [count, qp] <- rows of from (NULL: all in order), plus noise
typedef struct locusi_noise_job {
    locus_trainer *t;
    const size_t *rows;
    size_t count;
    float *to;
    locusi_stream stream;
    uint64_t salt;
    float deviation;
} locusi_noise_job;

LOCUSI_FN void locusi_train_noise(void *arg, size_t worker)
{
    const locusi_noise_job *job = (const locusi_noise_job *)arg;
    const locus_trainer *t = job->t;
    const size_t qp = t->core.qp, q = t->core.shape.q, workers = t->core.workers;
    size_t i, j;
    for (i = worker * job->count / workers; i < (worker + 1) * job->count / workers; i++) {
        const size_t row = job->rows[i];
        float *to = job->to + i * qp;
        if (row < t->n) memcpy(to, t->queries + row * qp, qp * sizeof(float));
        else {
            const float *from = locusi_data_row(t, t->data.unlabelled[row - t->n]);
            for (j = 0; j < q; j++) to[j] = from[j] * t->scale;
            for (; j < qp; j++) to[j] = 0.0f;
        }
        if (job->deviation <= 0.0f) continue;
        for (j = 0; j < q; j += 2) {
            float a, b;
            locusi_normal(locusi_random(t->o.seed, job->stream, t->epoch, job->salt + i * (qp / 2) + j / 2), &a, &b);
            to[j] += job->deviation * a;
            if (j + 1 < q) to[j + 1] += job->deviation * b;
        }
    }
}

LOCUSI_FN void locusi_train_take(locus_trainer *t, const size_t *rows, size_t count, float *to, locusi_stream stream,
                                 uint64_t salt, float deviation)
{
    locusi_noise_job job;
    job.t = t, job.rows = rows, job.count = count, job.to = to, job.stream = stream, job.salt = salt;
    job.deviation = deviation;
    locusi_run(t->core.parallel, locusi_train_noise, &job, t->core.workers);
}

LOCUSI_FN int locusi_key_order(const void *a, const void *b) // descending
{
    const locusi_key *x = (const locusi_key *)a, *y = (const locusi_key *)b;
    if (x->key != y->key) return x->key > y->key ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

// t->order's first *count places <- the step's subset; what follows are the rows that are not in it.
LOCUSI_FN void locusi_train_subset(locus_trainer *t, size_t *count)
{
    const locus_train_opts *o = &t->o;
    const double low = log((double)o->subset_min), high = log((double)o->subset_max);
    const uint64_t seed = o->seed;
    const size_t n = t->n, qp = t->core.qp;
    size_t i, j;
    *count =
        (size_t)(exp(low + (high - low) * locusi_uniform(locusi_random(seed, LOCUSI_STREAM_SIZE, t->epoch, 0))) + 0.5);
    if (*count < 1) *count = 1;
    if (*count > n) *count = n;
    if (*count == n) {
        for (i = 0; i < n; i++) t->order[i] = i;
        return;
    }
    locusi_shuffle(seed, LOCUSI_STREAM_SUBSET, t->epoch, t->order, n, n);
    if (locusi_uniform(locusi_random(seed, LOCUSI_STREAM_SIZE, t->epoch, 1)) < o->skew) {
        // Crowd around a query: the largest of (sharpness x cosine + Gumbel noise), which draws without replacement
        const float *centre = t->queries + locusi_random(seed, LOCUSI_STREAM_SIZE, t->epoch, 2) % n * qp;
        const double sharp = 2.0 + 8.0 * locusi_uniform(locusi_random(seed, LOCUSI_STREAM_SIZE, t->epoch, 3));
        const double norm = sqrt((double)t->core.k->square(centre, t->core.shape.q)) + 1e-30;
        locusi_key *const keys = t->keys;
        for (i = 0; i < n; i++) {
            const float *row = t->queries + i * qp;
            double dot = 0.0, u = locusi_uniform(locusi_random(seed, LOCUSI_STREAM_SUBSET, t->epoch, n + i));
            for (j = 0; j < t->core.shape.q; j++) dot += (double)row[j] * (double)centre[j];
            dot /= norm * (sqrt((double)t->core.k->square(row, t->core.shape.q)) + 1e-30);
            keys[i].key = sharp * dot - log(-log((u + 1e-18) * (1.0 - 1e-15)));
            keys[i].at = i;
        }
        locusi_sort(keys, n, sizeof *keys, locusi_key_order);
        for (i = 0; i < n; i++) t->order[i] = keys[i].at;
    }
}

// Virtual models: ability and discrimination drawn around the pool's, their own differences a random mixture of the
// real models' differences. Answers on the subset are drawn, with a share of each query's oddity; targets are the
// probabilities themselves, on rows drawn from all encodings at hand. This part's stand behind the `kept` real models;
// returns the number of both.
LOCUSI_FN size_t locusi_train_virtual(locus_trainer *t, size_t kept, size_t rows, size_t real_targets, size_t targets)
{
    const size_t models = t->data.evals.scores.models, n = t->n, all = n + t->data.unlabelled_count;
    const uint64_t seed = t->o.seed;
    const double unit = 1.0 / locusi_deviation(1.0 / (1.0 + exp(-t->ability)));
    size_t v, i, m;
    for (v = t->o.part; v < t->virtuals; v += t->o.parts, kept++) {
        float *answers = t->step_scores + kept * rows, *wanted = t->target_scores + kept * targets;
        const uint64_t base = (uint64_t)v << 32;
        const double strength =
            t->strength * locusi_uniform(locusi_random(seed, LOCUSI_STREAM_VIRTUAL, t->epoch, base));
        const double odd = locusi_uniform(locusi_random(seed, LOCUSI_STREAM_VIRTUAL, t->epoch, base + 1));
        float a, b, unused;
        double ability, slope;
        t->model_id[kept] = models + v;
        t->model_weight[kept] = (float)(1.0 / ((double)t->virtuals * (double)t->unlabelled));
        locusi_normal(locusi_random(seed, LOCUSI_STREAM_VIRTUAL, t->epoch, base + 2), &a, &b);
        ability = t->ability + 1.2 * t->spread * (double)a;
        slope = exp(0.3 * (double)b);
        for (i = 0; i < targets; i++) wanted[i] = 0.0f;
        for (i = 0; i < rows; i++) answers[i] = 0.0f;
        for (m = 0; m < models; m++) {
            const uint64_t bits = locusi_random(seed, LOCUSI_STREAM_VIRTUAL, t->epoch, base + 16 + 2 * m);
            float g;
            locusi_normal(bits, &g, &unused);
            if (v % 2 == 0) { // every second: few real directions, but strong
                if (locusi_uniform(locusi_random(seed, LOCUSI_STREAM_VIRTUAL, t->epoch, base + 17 + 2 * m)) *
                        (double)models >
                    3.0)
                    continue;
                g *= sqrtf((float)models / 3.0f);
            }
            g *= (float)strength;
            for (i = 0; i < rows; i++) answers[i] += g * t->own[m * all + t->subset[i]];
            for (i = real_targets; i < targets; i++) wanted[i] += g * t->own[m * all + t->targets[i]];
        }
        for (i = 0; i < rows; i++) {
            const size_t row = t->subset[i];
            const double s = slope * ((double)t->difficulty[row] + odd * t->item[row]) + (double)answers[i];
            const double p = locus_probability(ability + unit * s);
            answers[i] =
                locusi_uniform(locusi_random(seed, LOCUSI_STREAM_ANSWERS, t->epoch, base + i)) < p ? 1.0f : 0.0f;
        }
        for (i = 0; i < targets; i++)
            wanted[i] = i < real_targets
                            ? locusi_nan()
                            : (float)locus_probability(
                                  ability + unit * (slope * (double)t->difficulty[t->targets[i]] + (double)wanted[i]));
    }
    return kept;
}

// Noise: BEST constant; PAPER from 0.10 down a cosine to half of it over the first 500 epochs.
LOCUSI_FN float locusi_train_deviation(const locus_trainer *t)
{
    double noise = t->o.noise;
    if (t->o.recipe == LOCUS_RECIPE_PAPER) {
        const double at = t->epoch < 500 ? (double)t->epoch / 500.0 : 1.0;
        noise = noise * (0.5 + 0.25 * (1.0 + cos(3.14159265358979323846 * at)));
    } else {
        noise *= sqrt((double)t->core.shape.q); // an entry of the scaled encodings is 1 in the mean, not 1/sqrt(q_dim)
    }
    return (float)noise;
}

LOCUSI_FN double locusi_train_rate(const locus_trainer *t, double rate)
{
    const double epoch = (double)t->epoch + 1.0;
    if (t->o.recipe == LOCUS_RECIPE_PAPER) return rate;
    if (epoch < t->o.warmup) rate *= epoch / t->o.warmup;
    return rate * (0.02 + 0.98 * 0.5 * (1.0 + cos(3.14159265358979323846 * epoch / (double)t->o.epochs)));
}

LOCUSI_FN double locusi_norm(const locusi_kernels *k, const float *x, size_t n)
{
    double sum = 0.0;
    size_t i;
    for (i = 0; i < n; i += 4096) sum += (double)k->square(x + i, n - i < 4096 ? n - i : 4096);
    return sqrt(sum);
}

// One AdamW step of the flat arrays; `step` counts from 1.
LOCUSI_FN void locusi_train_update(const locusi_train_core *core, const locus_train_opts *o, const double rate[2],
                                   size_t step, double norm, const float *gradient, float *m, float *v)
{
    const size_t at[3] = {0, core->layout.encoder_count, core->layout.count};
    size_t part;
    for (part = 0; part < 2; part++) {
        locusi_adam a;
        a.beta1 = 0.9f;
        a.beta2 = 0.999f;
        a.epsilon = 1e-8f;
        a.clip = o->clip > 0.0 && norm + 1e-6 > o->clip ? (float)(o->clip / (norm + 1e-6)) : 1.0f;
        a.keep = (float)(1.0 - rate[part] * o->weight_decay);
        a.step = (float)(rate[part] / (1.0 - pow(0.9, (double)step)));
        a.root = (float)(1.0 / sqrt(1.0 - pow(0.999, (double)step)));
        core->k->adam(&a, core->theta + at[part], gradient + at[part], m + at[part], v + at[part],
                      at[part + 1] - at[part]);
    }
}

// This part's share of the step's loss; that of its gradient is left in core.group[0].gradient.
LOCUSI_FN double locusi_train_loss(locus_trainer *t, double *pairs)
{
    locusi_train_core *core = &t->core;
    const locus_train_opts *o = &t->o;
    const size_t models = t->data.evals.scores.models, n = t->n, parts = o->parts;
    const float deviation = locusi_train_deviation(t);
    size_t rows, real, targets, seen, i, m, kept = 0;
    double all = 0.0;
    locusi_batch b;
    memset(&b, 0, sizeof b);
    locusi_train_subset(t, &rows);
    for (i = 0; i < rows; i++) t->subset[i] = t->order[i];
    // targets: a share from the subset, the rest from the other rows
    real = o->targets;
    seen = (size_t)(o->seen * (double)real + 0.5);
    if (seen > rows) seen = rows;
    if (real - seen > n - rows) real = n - rows + seen;
    if (real == 0) real = seen = rows < o->targets ? rows : o->targets;
    {
        const uint64_t a = locusi_random(o->seed, LOCUSI_STREAM_TARGETS, t->epoch, 0);
        const size_t from = rows ? (size_t)(a % rows) : 0, other = n > rows ? (size_t)((a >> 32) % (n - rows)) : 0;
        for (i = 0; i < seen; i++) t->targets[i] = t->order[(from + i) % rows]; // the order is random already
        for (; i < real; i++) t->targets[i] = t->order[rows + (other + i - seen) % (n - rows)];
    }
    targets = real + t->unlabelled;
    for (; i < targets; i++) {
        const size_t pool = t->data.unlabelled_count ? t->data.unlabelled_count : n;
        const size_t at = (size_t)(locusi_random(o->seed, LOCUSI_STREAM_UNLABELLED, t->epoch, i) % pool);
        t->targets[i] = t->data.unlabelled_count ? n + at : at;
    }
    *pairs = 0.0;
    for (m = 0; m < models; m++) {
        const float *score = t->scores + m * n;
        const int own = m % parts == o->part;
        for (i = 0; i < rows && locusi_is_nan(score[t->subset[i]]); i++) {}
        {
            const int empty = i == rows; // nothing of this model in the subset: no targets either
            for (i = 0; i < targets; i++) {
                const float y = i < real && !empty ? score[t->targets[i]] : locusi_nan();
                if (own) t->target_scores[kept * targets + i] = y;
                if (!locusi_is_nan(y)) all += 1.0, *pairs += own;
            }
        }
        if (!own) continue;
        for (i = 0; i < rows; i++) t->step_scores[kept * rows + i] = score[t->subset[i]];
        t->model_id[kept++] = m;
    }
    for (m = 0; m < kept; m++) t->model_weight[m] = (float)(1.0 / (all > 1.0 ? all : 1.0));
    b.models = t->virtuals ? locusi_train_virtual(t, kept, rows, real, targets) : kept;
    b.rows = rows;
    b.targets = targets;
    b.queries = t->step_queries;
    b.target_queries = t->target_queries;
    b.scores = t->step_scores;
    b.target_scores = t->target_scores;
    b.model_weight = t->model_weight;
    b.model_id = t->model_id;
    b.silent = models; // virtual ones
    if (o->dropout > 0.0) b.dropout_key = locusi_random(o->seed, LOCUSI_STREAM_DROPOUT, t->epoch, 0) | 1;
    if (!o->separate_noise) {
        locusi_train_take(t, t->subset, rows, t->step_queries, LOCUSI_STREAM_NOISE, 0, deviation);
        locusi_train_take(t, t->targets, targets, t->target_queries, LOCUSI_STREAM_TARGET_NOISE, 0, deviation);
        return locusi_train_step(core, &b);
    }
    { // each model sees its own noise: a step for each, whose gradients add up
        const size_t count = b.models;
        double loss = 0.0;
        int bad = 0;
        for (m = 0; m < count || m == 0; m++) { // a step without a model gives zeros
            const uint64_t salt = m < count ? (uint64_t)(t->model_id[m] + 1) << 40 : 0;
            b.models = m < count;
            b.scores = t->step_scores + m * rows;
            b.target_scores = t->target_scores + m * targets;
            b.model_weight = t->model_weight + m;
            b.model_id = t->model_id + m;
            b.silent = m >= kept;
            b.add = m > 0;
            locusi_train_take(t, t->subset, rows, t->step_queries, LOCUSI_STREAM_NOISE, salt, deviation);
            locusi_train_take(t, t->targets, targets, t->target_queries, LOCUSI_STREAM_TARGET_NOISE, salt, deviation);
            loss += locusi_train_step(core, &b);
            bad |= core->bad;
        }
        core->bad = bad;
        return loss;
    }
}

// Validation metrics of the weights in `flat`.
LOCUSI_FN locus_status locusi_train_evaluate(locus_trainer *t, float *flat, locus_metrics *out, locus_error *err)
{
    locusi_train_core *core = &t->core;
    float *const theta = core->theta;
    locusi_batch b;
    locus_scores scores;
    locus_metrics_opts opts;
    size_t best;
    memset(&b, 0, sizeof b);
    memset(&scores, 0, sizeof scores);
    b.models = t->data.evals.scores.models;
    b.rows = t->n;
    b.targets = t->validation;
    b.queries = t->queries;
    b.target_queries = t->validation_queries;
    b.scores = t->scores;
    b.z = t->z;
    b.logits = t->logits;
    core->theta = flat;
    locusi_train_prepare(core);
    locusi_train_step(core, &b);
    core->theta = theta;
    scores.models = b.models;
    scores.count = t->validation;
    scores.f32 = t->validation_scores;
    if (!locusi_all_finite(t->logits, b.models * t->validation)) { // no figures, so these are not the best
        memset(out, 0, sizeof *out);
        out->bce = out->hit1 = (double)locusi_nan();
        return LOCUS_OK;
    }
    memset(&opts, 0, sizeof opts);
    best = locus_best_model(&scores, NULL, 0);
    opts.leaders = &best;
    opts.leader_count = 1;
    return locus_metrics_compute(out, t->logits, t->validation, &scores, &opts, t->metrics_work, t->metrics_bytes, err);
}

// The memory's weight beside the net whose validation logits are at hand: least squares of the two chances' mixture,
// drawn to the default as by twenty queries.
LOCUSI_FN double locusi_train_recall_weight(const locus_trainer *t)
{
    const size_t models = t->data.evals.scores.models;
    double along = 0.0, length = 0.0, queries = (double)t->validation;
    size_t i, j;
    for (i = 0; i < t->validation; i++)
        for (j = 0; j < models; j++) {
            const float y = t->validation_scores[j * t->validation + i];
            const double net = locus_probability((double)t->logits[i * models + j]);
            const double more = locus_probability((double)t->told[i * models + j]) - net;
            if (locusi_is_nan(y)) continue;
            along += more * ((double)y - net);
            length += more * more;
        }
    if (!(length > 0.0)) return LOCUSI_RECALL_WEIGHT;
    return locusi_clamp((along + 20.0 * length / queries * LOCUSI_RECALL_WEIGHT) / (length * (1.0 + 20.0 / queries)),
                        0.01, 1.0);
}

LOCUS_API locus_status locus_train_epoch(locus_trainer *t, locus_epoch *out, locus_error *err)
{
    locusi_train_core *core;
    locus_epoch e;
    double pairs, rate[2];
    float *gradient;
    size_t i, count;
    locus_status status;
    if (!t) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "trainer", "a pointer", "NULL");
    if (t->epoch >= t->o.epochs) // its rate is that of no epoch
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "epoch", "at most %z, opts->epochs", "%z", t->o.epochs,
                           t->epoch + 1);
    core = &t->core;
    count = core->layout.count;
    memset(&e, 0, sizeof e);
    e.epoch = t->epoch + 1;
    e.epochs = t->o.epochs;
    locusi_train_prepare(core);
    e.loss = locusi_train_loss(t, &pairs);
    if (core->bad) e.loss = (double)locusi_nan();
    gradient = core->group[0].gradient;
    if (t->o.on_gradient) {
        locus_gradient g;
        g.gradient = gradient;
        g.count = count;
        g.loss = &e.loss;
        g.pairs = pairs;
        g.epoch = e.epoch;
        if (t->o.on_gradient(t->o.user, &g)) return locusi_fail(err, LOCUS_ERR_CANCELLED, "on_gradient", "", "");
    }
    e.gradient_norm = locusi_norm(core->k, gradient, count);
    if (!(locusi_within(e.loss, -1e30, 1e30) && locusi_within(e.gradient_norm, 0.0, 1e30)))
        return locusi_fail(err, LOCUS_ERR_DIVERGED, "epoch %z", "a finite loss and gradient", "loss %f, norm %f",
                           e.epoch, e.loss, e.gradient_norm);
    rate[0] = locusi_train_rate(t, t->o.encoder_rate);
    rate[1] = locusi_train_rate(t, t->o.predictor_rate);
    for (i = 0; i < count; i++) // a step moves a weight by at most 8 rates, and decay
        if (!locusi_within(fabs((double)core->theta[i]) *
                                   (1.0 + rate[i >= core->layout.encoder_count] * t->o.weight_decay) +
                               8.0 * rate[i >= core->layout.encoder_count],
                           0.0, LOCUSI_LARGEST_WEIGHT))
            return locusi_fail(err, LOCUS_ERR_DIVERGED, "epoch %z", "weights that a net may have",
                               "a step that leaves them: a rate is too large", e.epoch);
    t->epoch++;
    locusi_train_update(core, &t->o, rate, t->epoch, e.gradient_norm, gradient, t->m, t->v);
    if (t->o.average > 0.0) { // a mean over few steps at first
        const double start = (double)t->epoch / ((double)t->epoch + 9.0);
        const float keep = (float)(start < t->o.average ? start : t->o.average);
        for (i = 0; i < count; i++) t->average[i] = keep * t->average[i] + (1.0f - keep) * core->theta[i];
    } else {
        memcpy(t->average, core->theta, count * sizeof(float));
    }
    if (t->o.keep == LOCUS_KEEP_LAST) e.best = 1;
    if (t->validation && (t->epoch % t->o.evaluate_every == 0 || t->epoch == t->o.epochs)) {
        if ((status = locusi_train_evaluate(t, t->average, &e.metrics, err))) return status;
        e.evaluated = 1;
        if (t->o.keep != LOCUS_KEEP_LAST) {
            const double value = t->o.keep == LOCUS_KEEP_BCE ? -e.metrics.bce : e.metrics.hit1;
            e.best = locusi_within(value, -1e30, 1e30) && (t->best_epoch == 0 || value > t->best_value);
            if (e.best) t->best_value = value;
        }
        if (e.best) t->best_metrics = e.metrics;
    }
    if (e.best) {
        t->recall_weight = e.evaluated && t->virtuals ? locusi_train_recall_weight(t) : 0.0;
        memcpy(t->best, t->average, count * sizeof(float));
        t->best_epoch = t->epoch;
    }
    e.best_epoch = t->best_epoch;
    if (t->epoch >= t->o.epochs || (t->o.patience != SIZE_MAX && t->epoch >= t->best_epoch + t->o.patience))
        t->finished = 1;
    if (out) *out = e;
    if (t->o.on_epoch && t->o.on_epoch(t->o.user, &e))
        return locusi_fail(err, LOCUS_ERR_CANCELLED, "epoch %z", "", "", e.epoch);
    return LOCUS_OK;
}

LOCUS_API locus_status locus_train_run(locus_trainer *t, locus_error *err)
{
    locus_status status = LOCUS_OK;
    if (!t) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "trainer", "a pointer", "NULL");
    while (!status && !t->finished) status = locus_train_epoch(t, NULL, err);
    return status;
}

// ---- out of the trainer

typedef struct locusi_train_file { // a net file in memory
    locus_safetensors st;
    locus_tensor *tensors;
    locus_metadata metadata[9];
    locusi_spec *specs;
    char numbers[7][24];
    void *block;
} locusi_train_file;

LOCUSI_FN locus_status locusi_train_export(const locus_trainer *t, locusi_train_file *file, locus_error *err)
{
    const locus_net *s = &t->core.shape;
    const size_t tensors = locusi_train_tensors(s), weights = locusi_train_offset(s, tensors);
    const size_t sizes[6] = {s->q, s->d, s->heads, s->layers, s->r, s->g};
    static const char *const keys[6] = {"q_dim", "z_dim", "n_heads", "n_layers", "m_induce", "decoder_hidden"};
    locusi_carver c = {NULL, 0, 0};
    const locusi_layout *l = &t->core.layout;
    float *flat = NULL;
    unsigned char *data = NULL, *text = NULL;
    size_t i, n, text_tensors = 0;
    int attempt;
    memset(file, 0, sizeof *file);
    for (attempt = 0; attempt < 2; attempt++) {
        c.used = 0;
        file->tensors = (locus_tensor *)locusi_carve(&c, tensors + 3, sizeof(locus_tensor));
        file->specs = (locusi_spec *)locusi_carve(&c, tensors, sizeof(locusi_spec));
        flat = locusi_carve_floats(&c, l->count, 1);
        data = (unsigned char *)locusi_carve(&c, weights, 4);
        text = (unsigned char *)locusi_carve(&c, t->data.text ? t->data.text->rows : 0, 6);
        if (attempt) break;
        if (c.failed || !(file->block = LOCUS_MALLOC(c.used + 64)))
            return locusi_fail(err, LOCUS_ERR_MEMORY, "net", "%z bytes", "none", c.used);
        memset(file->block, 0, c.used + 64);
        c.base = locusi_align(file->block);
    }
    memcpy(flat, t->best, l->count * sizeof(float));
    for (i = 0; i < s->dp * t->core.qp; i++) { // the weights take over the scale of the encodings
        flat[l->a + i] *= t->scale;
        flat[l->c + i] *= t->scale;
        flat[l->u + i] *= t->scale;
    }
    locusi_train_store(&t->core, flat, data);
    for (i = 0; i < tensors; i++) {
        locusi_spec_at(s, i, "decoder.mlp_head.3", &file->specs[i]);
        locusi_tensor_set(&file->tensors[i], file->specs[i].name, LOCUS_F32, file->specs[i].rank,
                          file->specs[i].shape[0], file->specs[i].rank > 1 ? file->specs[i].shape[1] : 1,
                          data + 4 * locusi_train_offset(s, i));
        if (file->specs[i].rank > 2) file->tensors[i].shape[2] = file->specs[i].shape[2];
        file->tensors[i].dtype_name = "F32";
        for (n = file->specs[i].rank; n < 8; n++) file->tensors[i].shape[n] = 1;
        locusi_shape_count(file->tensors[i].shape, file->tensors[i].rank, &file->tensors[i].count);
        file->tensors[i].bytes = 4 * file->tensors[i].count;
    }
    for (i = n = 0; i < 6; i++) {
        if (i == 4 && s->info.encoder_kind == LOCUS_SAB) continue;
        locusi_text(file->numbers[i], sizeof file->numbers[i], "%z", sizes[i]);
        file->metadata[n].key = keys[i];
        file->metadata[n++].value = file->numbers[i];
    }
    file->metadata[n].key = "encoder_kind";
    file->metadata[n++].value = s->info.encoder_kind == LOCUS_SAB ? "sab" : "isab";
    if (t->recall_weight > 0.0) {
        locusi_text(file->numbers[6], sizeof file->numbers[6], "%z", (size_t)(100.0 * t->recall_weight + 0.5));
        file->metadata[n].key = "memory_weight";
        file->metadata[n++].value = file->numbers[6];
    }
    if (t->query_encoder[0]) {
        file->metadata[n].key = "query_encoder";
        file->metadata[n++].value = t->query_encoder;
    }
    if (t->data.text)
        locus_text_tensors(t->data.text, file->tensors + tensors, &text_tensors, text, 6 * t->data.text->rows, NULL);
    file->st.tensors = file->tensors;
    file->st.tensor_count = tensors + text_tensors;
    file->st.metadata = file->metadata;
    file->st.metadata_count = n;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_train_net(const locus_trainer *t, const locus_net_opts *opts, locus_net **out,
                                       locus_error *err)
{
    locusi_train_file file;
    locus_status status;
    if (!t || !out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", t ? "out" : "trainer");
    *out = NULL;
    if (!(status = locusi_train_export(t, &file, err))) {
        status = locus_net_create(out, &file.st, opts, err);
        LOCUS_FREE(file.block);
    }
    return status;
}

#ifndef LOCUS_NO_STDIO
LOCUS_API locus_status locus_train_save(const locus_trainer *t, const char *path, locus_error *err)
{
    locusi_train_file file;
    locus_status status;
    if (!t || !path) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", t ? "path" : "trainer");
    if (!(status = locusi_train_export(t, &file, err))) {
        status = locus_safetensors_save(path, file.tensors, file.st.tensor_count, file.metadata, file.st.metadata_count,
                                        err);
        LOCUS_FREE(file.block);
    }
    return status;
}

// ---- state: the flat arrays as they are, and the counters; bound to data and options by a hash, and whole by another

LOCUSI_FN uint64_t locusi_train_identity(const locus_trainer *t)
{
    const locus_train_opts *o = &t->o;
    const double numbers[11] = {o->average, o->encoder_rate, o->predictor_rate, (double)o->warmup, o->weight_decay,
                                o->clip,    o->dropout,      o->noise,          o->skew,           o->seen,
                                0.0};
    const size_t sizes[17] = {(size_t)o->recipe,
                              o->z_dim,
                              o->n_heads,
                              o->n_layers,
                              o->m_induce,
                              o->decoder_hidden,
                              (size_t)o->encoder_kind,
                              o->epochs,
                              o->evaluate_every,
                              (size_t)o->keep,
                              o->subset_min,
                              o->subset_max,
                              o->targets,
                              o->virtual_models,
                              (size_t)o->separate_noise,
                              o->parts,
                              o->part};
    uint64_t h = locusi_mix(t->data_hash ^ o->seed);
    size_t i;
    for (i = 0; i < 11; i++) {
        uint64_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        h = locusi_mix(h ^ bits);
    }
    for (i = 0; i < 17; i++) h = locusi_mix(h ^ sizes[i]);
    return h;
}

// Of everything that a state holds: the values and the arrays' little-endian bytes.
LOCUSI_FN uint64_t locusi_state_hash(const uint64_t value[4], const void *const arrays[5], size_t count)
{
    uint64_t h = locusi_mix(count);
    size_t i, j;
    for (i = 0; i < 4; i++) h = locusi_mix(h ^ value[i]);
    for (i = 0; i < 5; i++)
        for (j = 0; j < count; j++) h = locusi_mix(h ^ locusi_le32((const unsigned char *)arrays[i] + 4 * j));
    return h;
}

LOCUS_API locus_status locus_train_save_state(const locus_trainer *t, const char *path, locus_error *err)
{
    static const char *const names[5] = {"state.weights", "state.m", "state.v", "state.average", "state.best"};
    static const char *const keys[5] = {"locus.state", "locus.epoch", "locus.best_epoch", "locus.best_value",
                                        "locus.state_hash"};
    const void *data[5];
    locus_tensor tensors[5];
    locus_metadata metadata[5];
    char text[5][24];
    uint64_t value[5];
    size_t i;
    if (!t || !path) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", t ? "path" : "trainer");
    if (!locusi_host_is_little())
        return locusi_fail(err, LOCUS_ERR_MISMATCH, "%s", "a little-endian machine", "", path);
    {
        const float *const arrays[5] = {t->core.theta, t->m, t->v, t->average, t->best};
        for (i = 0; i < 5; i++)
            locusi_tensor_set(&tensors[i], names[i], LOCUS_F32, 1, t->core.layout.count, 1, arrays[i]);
    }
    for (i = 0; i < 5; i++) data[i] = tensors[i].data;
    value[0] = locusi_train_identity(t);
    value[1] = t->epoch;
    value[2] = t->best_epoch;
    memcpy(&value[3], &t->best_value, sizeof value[3]);
    value[4] = locusi_state_hash(value, data, t->core.layout.count);
    for (i = 0; i < 5; i++) {
        locusi_text(text[i], sizeof text[i], "%x", value[i]);
        metadata[i].key = keys[i];
        metadata[i].value = text[i];
    }
    return locus_safetensors_save(path, tensors, 5, metadata, 5, err);
}

LOCUS_API locus_status locus_train_load_state(locus_trainer *t, const char *path, locus_error *err)
{
    static const char *const names[5] = {"state.weights", "state.m", "state.v", "state.average", "state.best"};
    static const char *const keys[5] = {"locus.state", "locus.epoch", "locus.best_epoch", "locus.best_value",
                                        "locus.state_hash"};
    locus_safetensors st;
    const locus_tensor *tensor[5];
    const void *data[5];
    uint64_t value[5];
    size_t i, j;
    locus_status status;
    if (!t || !path) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", t ? "path" : "trainer");
    if ((status = locus_safetensors_open(&st, path, err))) return status;
    for (i = 0; i < 5 && !status; i++) {
        const char *text = locus_safetensors_meta(&st, keys[i]);
        if (!text || !locusi_parse_hash(text, &value[i]))
            status = locusi_fail(err, LOCUS_ERR_MISMATCH, "%s", "%s", "no training state", path, keys[i]);
    }
    if (!status && value[0] != locusi_train_identity(t))
        status = locusi_fail(err, LOCUS_ERR_MISMATCH, "%s", "%x, this trainer's data and options", "%x", path,
                             locusi_train_identity(t), value[0]);
    for (i = 0; i < 5 && !status; i++) {
        tensor[i] = locus_safetensors_find(&st, names[i]);
        if (!tensor[i] || tensor[i]->dtype != LOCUS_F32 || tensor[i]->count != t->core.layout.count)
            status = locusi_fail(err, LOCUS_ERR_MISMATCH, "%s", "%z numbers in %s", "others", path,
                                 t->core.layout.count, names[i]);
        for (j = 0; !status && j < tensor[i]->count; j++) { // weights as training keeps them, v a mean of squares
            const double x = (double)locusi_f32_from(locusi_le32((const unsigned char *)tensor[i]->data + 4 * j));
            const double most = i == 1 || i == 2 ? DBL_MAX : LOCUSI_LARGEST_WEIGHT;
            if (!locusi_within(x, i == 2 ? 0.0 : -most, most))
                status = locusi_fail(err, LOCUS_ERR_MISMATCH, "%s[%z]", "%s", "%f", names[i], j,
                                     i == 1   ? "a finite number"
                                     : i == 2 ? "finite and not negative"
                                              : "a weight of at most 1e6",
                                     x);
        }
        if (!status) data[i] = tensor[i]->data;
    }
    if (!status && value[4] != locusi_state_hash(value, data, t->core.layout.count))
        status = locusi_fail(err, LOCUS_ERR_MISMATCH, "%s", "the bytes that were written", "others", path);
    if (!status && (value[1] > t->o.epochs || value[2] > value[1]))
        status = locusi_fail(err, LOCUS_ERR_MISMATCH, "%s", "at most %z epochs, the best among them", "%u, best %u",
                             path, t->o.epochs, value[1], value[2]);
    if (!status) {
        double best;
        memcpy(&best, &value[3], sizeof best);
        if (!locusi_within(best, -1e30, 1e30))
            status = locusi_fail(err, LOCUS_ERR_MISMATCH, "%s", "a finite best value", "%f", path, best);
    }
    if (!status) {
        float *const arrays[5] = {t->core.theta, t->m, t->v, t->average, t->best};
        for (i = 0; i < 5; i++) locus_tensor_to_f32(tensor[i], 0, tensor[i]->count, arrays[i], NULL);
        t->epoch = (size_t)value[1];
        t->best_epoch = (size_t)value[2];
        memcpy(&t->best_value, &value[3], sizeof t->best_value);
        t->finished =
            t->epoch >= t->o.epochs || (t->o.patience != SIZE_MAX && t->epoch >= t->best_epoch + t->o.patience);
    }
    locus_safetensors_close(&st);
    if (!status) t->recall_weight = 0.0;
    if (!status && t->virtuals && t->validation && t->best_epoch &&
        (t->best_epoch % t->o.evaluate_every == 0 || t->best_epoch == t->o.epochs)) { // as when they were the best
        locus_metrics unused;
        if (!(status = locusi_train_evaluate(t, t->best, &unused, err)))
            t->recall_weight = locusi_train_recall_weight(t);
    }
    return status;
}
#endif
#endif // LOCUS_NO_TRAIN

#define LOCUSI_IMPLEMENTED
#endif // LOCUS_IMPLEMENTATION

// ------------------------------------------------------------------------------------------------------- >>licence
//
// MIT License
//
// Copyright (c) 2026 the locus.h authors
//
// Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
// documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
// rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to
// permit persons to whom the Software is furnished to do so, subject to the following conditions:
//
// The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
// Software.
//
// THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
// WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
// COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
// OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
