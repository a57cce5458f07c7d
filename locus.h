// SPDX-License-Identifier: MIT
// locus.h 0.5.0: model embeddings from evaluations, correctness prediction, routing and training, in one C header.
// The method: Patel, Cocke, Joshi, "LOCUS", arXiv 2601.21082. No dependency but libc and libm. Licence at the end.
//
// In ONE source file, then plainly everywhere else:
//
//     #define LOCUS_IMPLEMENTATION
//     #include "locus.h"
//
// A complete program (cc -O2 app.c -lm): which of the models in a router file should answer this text?
//
//     #define LOCUS_IMPLEMENTATION
//     #include "locus.h"
//     #include <stdio.h>
//     #include <string.h>
//
//     int main(int argc, char **argv)
//     {
//         locus_router router;
//         locus_choice best;
//         locus_error err;
//         if (argc != 3 || locus_router_open(&router, argv[1], NULL, &err) ||
//             locus_router_route_text(&router, argv[2], strlen(argv[2]), NULL, &best, NULL, &err))
//             return fprintf(stderr, "%s\n", argc == 3 ? err.message : "usage: app ROUTER TEXT"), 1;
//         printf("%s (%.0f %%)\n", locus_router_name(&router, best.model), 100.0 * (double)best.probability);
//     }
//
// Contents (search for the tag):
//     >>config      macros that change what is compiled
//     >>api         types and functions; a reader who only uses the library can stop at its end
//     >>base        checked arithmetic, error messages, small helpers
//     >>text        texts -> query encodings
//     >>rules       which model is chosen
//     >>compact     LOCUS_INFERENCE_ONLY: all that it has besides what stands above
//     >>safetensors reader and writer; >>npy arrays
//     >>isa         which instruction sets this machine has
//     >>kernels     the arithmetic, written once, and >>vocabulary, in which it is compiled for each instruction set
//     >>threads     the built-in thread pool
//     >>net         loading and packing a net
//     >>encoder     evaluation sets -> model embeddings
//     >>algebra     small dense problems in double
//     >>texts       files of texts; learning the text encoder
//     >>recall      what happened on the evaluated queries, as a kernel regression
//     >>pool        models, their embeddings and what is known of them
//     >>predictor   logits;  >>route  costs and choices
//     >>metrics     figures of merit;  >>frontier  quality against money
//     >>calibration >>points and distances >>neighbours >>clusters >>portfolio >>compare
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
//   LOCUS_NO_MALLOC        there is no heap: all is in run->memory, and what allocates otherwise (it says so) fails
//                          with LOCUS_ERR_MEMORY
//   LOCUS_ASSERT(x)        checks of internal invariants; default: nothing. Bad arguments and files never reach it
//   LOCUS_NO_STDIO         no files: the functions that take a path are left out; all work on memory blocks
//   LOCUS_NO_MMAP          files are read, not mapped
//   LOCUS_NO_THREADS       no built-in thread pool; a caller's own (locus_parallel) still works
//   LOCUS_NO_SIMD          only the portable kernels; not even the vendor headers are included
//   LOCUS_INFERENCE_ONLY   a small core for devices in place of the library: routers, the set encoder, texts (from the
//                          beginning of >>api to its line that says so). Weights are used where they lie, nothing is
//                          copied; F32 only. See >>compact
//   LOCUS_MESSAGES         with LOCUS_INFERENCE_ONLY: errors in words (8 KB more code), not the status alone
//   LOCUS_NO_ENCODER       with LOCUS_INFERENCE_ONLY: no locus_encode
//   LOCUS_NO_TRAIN         leaves training out
//   LOCUS_NO_EXPLORE       leaves out all that explores, compares and selects (from locus_pool_calibrate on)
//   LOCUS_HEADER           how this file includes itself, default "locus.h"; define it if you rename the file
//
// Under -ffast-math bad input is refused and missing scores are missing as without; that results have the same bits in
// every order, batching and number of threads holds only without it.

#include <stddef.h>
#include <stdint.h>

#define LOCUS_VERSION_MAJOR 0
#define LOCUS_VERSION_MINOR 5
#define LOCUS_VERSION_PATCH 0
#define LOCUS_VERSION "0.5.0"

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

// ---- which function do I need?
//
//     route a text, or encodings                   locus_router_open, locus_router_route_text, locus_router_route
//     a model joins, or has more evaluations       locus_pool_join
//     a model is down, costs more, is renamed      locus_pool_set_available, _set_cost, _rename
//     change a pool while others route with it     locus_pool_copy
//     make a pool from evaluations                 locus_encode, locus_pool_create, _add, _learn, _save
//     all chances                                  locus_predict, locus_profiles
//     how good are they, and at what price         locus_metrics_compute, locus_reliability, locus_frontier_compute
//     chances that come true                       locus_pool_calibrate
//     who stands in for a model                    locus_neighbours by LOCUS_RMS, of locus_profiles
//     what is alike, and how two models differ     locus_cluster, locus_distances, locus_compare
//     which models to keep                         locus_portfolio_choose
//     how sure is it                               locus_pool_resample, locus_interval_of
//     what to ask a new model, and why             locus_next_evaluations, locus_explain
//     one model twice, or another than before      locus_same_answers, locus_watch_add
//     train a net, a text encoder                  locus_train_create, _run, _save; locus_text_train

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

typedef struct locus_file {
    const unsigned char *data;
    size_t bytes;
    int owner; // 0: the caller's memory, 1: LOCUS_MALLOC, 2: mapped
} locus_file;

// ---- the router: text in, model out
//
// A net and a pool from one file, ready to choose: the program above. What stands from here to the encoder, and what
// came before, is all that LOCUS_INFERENCE_ONLY has; it is the same in both builds.

typedef struct locus_net locus_net;   // encoder and predictor weights; read-only: any number of threads may use it
typedef struct locus_pool locus_pool; // models, their embeddings and what is known of them

typedef struct locus_queries {
    const float *encodings; // [count, dim], finite
    size_t count;
    size_t dim;    // must equal the net's q_dim
    size_t stride; // floats from one row to the next; 0: dim
} locus_queries;

// sigmoid of a logit: the predicted chance of a right answer.
LOCUS_API double locus_probability(double logit);

typedef enum locus_rule {
    LOCUS_RULE_BEST = 0,        // highest utility among the candidates
    LOCUS_RULE_BEAT_DEFAULT,    // beats the default model by more than the margin
    LOCUS_RULE_DEFAULT_KEPT,    // the default stays: no candidate gains more than the margin
    LOCUS_RULE_DEFAULT_EXCLUDED // the default is not available or too dear: highest utility instead
} locus_rule;

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

typedef struct locus_guard {
    size_t model;  // SIZE_MAX: the pool has no guard
    double margin; // 0 to 1
} locus_guard;

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
} locus_route_opts;

// ---- query encodings from texts (>>text specifies them exactly)
//
// A query encoder without a foreign model: words, pairs of words and parts of unknown words are looked up in a small
// table learned from texts (locus_text_train), or, table-free, hashed. All in integers: the same bits on every machine.

enum { LOCUS_TEXT_MAX_DIM = 1024, LOCUS_TEXT_MAX_ROWS = 65536, LOCUS_TEXT_NAME_BYTES = 32 };

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
// Takes microseconds; time grows linearly with the text. Fails: LOCUS_ERR_ARGUMENT, _MEMORY.
LOCUS_API locus_status locus_encode_text(const locus_text *encoder, const char *text, size_t bytes, float *out,
                                         const locus_run *run, locus_error *err);

typedef struct locus_router {
    locus_net *net;         // what it stands on and owns: for all that the rest of the contract does with them
    locus_pool *pool;       // (in LOCUS_INFERENCE_ONLY only locus_encode takes one)
    const locus_text *text; // its text encoder; NULL: something else encodes its queries
    size_t q_dim, z_dim;    // floats in an encoding of a query, in an embedding of a model
} locus_router;

// Open a router file (of the current and all earlier versions); close it with locus_router_close. load: from memory;
// with LOCUS_INFERENCE_ONLY nothing is copied, so that data (flash, say) must outlive the router, and any alignment
// will do: it takes 9 KB of memory in all for 25 models and encodings of 128 numbers, 12 KB for 112 models, and no
// function more than 2 KB of stack. run: its memory, if given, is the router's until it is closed.
// Safe on untrusted bytes: never reads outside [data, data + bytes), never allocates more than a small multiple of it.
// Fails: LOCUS_ERR_IO, _FORMAT, _UNSUPPORTED, _TENSOR, _METADATA, _NONFINITE_WEIGHT, _HASH, _MISMATCH, _QUERY_DIM,
// _NO_POOL, _POOL, _NAME, _MEMORY.
#ifndef LOCUS_NO_STDIO
LOCUS_API locus_status locus_router_open(locus_router *out, const char *path, const locus_run *run, locus_error *err);
#endif
LOCUS_API locus_status locus_router_load(locus_router *out, const void *data, size_t bytes, const locus_run *run,
                                         locus_error *err);
// NULL and a router that was not opened are fine.
LOCUS_API void locus_router_close(locus_router *router);

// out[top] <- the choices for a text. opts and run may be NULL. Fails: as locus_router_route, and LOCUS_ERR_MISMATCH
// where router->text is NULL.
LOCUS_API locus_status locus_router_route_text(const locus_router *router, const char *text, size_t bytes,
                                               const locus_route_opts *opts, locus_choice *out, const locus_run *run,
                                               locus_error *err);
// out[count, top] <- ranked choices for encodings: by utility, then logit, then lower index, so the same input gives
// the same answer. With a default that is kept, it comes first and the others follow in order. Fails:
// LOCUS_ERR_ARGUMENT, _QUERY_DIM, _NONFINITE (an encoding, or a logit that it gives), _NO_CANDIDATE, _MEMORY.
LOCUS_API locus_status locus_router_route(const locus_router *router, const locus_queries *queries,
                                          const locus_route_opts *opts, locus_choice *out, const locus_run *run,
                                          locus_error *err);

// Its models. A name lives until models are added or taken out; NULL if there is no such index. find: SIZE_MAX if no
// model has that name.
LOCUS_API size_t locus_router_count(const locus_router *router);
LOCUS_API const char *locus_router_name(const locus_router *router, size_t index);
LOCUS_API size_t locus_router_find(const locus_router *router, const char *name);
// available 0: never chosen. cost: of one query, in the user's unit; NaN: unknown. Not while others route with it.
// Fails: LOCUS_ERR_ARGUMENT, _POOL.
LOCUS_API locus_status locus_router_set_available(locus_router *router, size_t index, int available, locus_error *err);
LOCUS_API locus_status locus_router_set_cost(locus_router *router, size_t index, double cost, locus_error *err);
// A new model from its embedding z[z_dim] (locus_encode): available, of unknown cost, predicted by the net alone.
// *index (may be NULL) <- its place. run: its memory, if given, is the router's until it is closed. Fails:
// LOCUS_ERR_NAME, _POOL (z), _MEMORY.
LOCUS_API locus_status locus_router_add(locus_router *router, const char *name, const float *z, size_t *index,
                                        const locus_run *run, locus_error *err);

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

// ---- encoder: evaluation sets -> embeddings (method.md, "Encoder")
//
// A single model is `scores.models` = 1. A missing score (NaN, or 255 in bytes) or a mask of 0 is as if the evaluation
// did not exist: neither its score nor, if no model has it, its encoding is looked at.
typedef enum locus_encode_path {
    LOCUS_ENCODE_AUTO = 0, // fast where its memory is at most run->memory, or 1 GiB; else streaming (sab: always fast)
    LOCUS_ENCODE_FAST,     // keeps what the models share and each model's tokens: about 5 KB an evaluation
    LOCUS_ENCODE_STREAMING // memory independent of n; isab only
} locus_encode_path;

// z[M, z_dim] <- embeddings. Bit-identical for every order of the evaluations, every split into calls, both paths and
// every number of threads: sums over evaluations are exact integer sums (see >>encoder).
// Fails: LOCUS_ERR_ARGUMENT, _NO_ENCODER, _QUERY_DIM, _EMPTY_SET (names the model), _SCORE and _NONFINITE (say which),
// _MEMORY, _CANCELLED.
#ifdef LOCUS_INFERENCE_ONLY
// Here it takes m_induce * z_dim * (8 * n_layers + 12) bytes, a size_t for each evaluation and a few KB; isab only
// (sab: LOCUS_ERR_UNSUPPORTED). Agrees with the other to a relative 1e-5.
#ifndef LOCUS_NO_ENCODER
LOCUS_API locus_status locus_encode(const locus_net *net, const locus_evals *evals, float *z, const locus_run *run,
                                    locus_error *err);
#endif
#else
LOCUS_API locus_status locus_encode(const locus_net *net, const locus_evals *evals, float *z, locus_encode_path path,
                                    const locus_run *run, locus_error *err);
#endif

#ifndef LOCUS_INFERENCE_ONLY // which ends here

// ---- instruction sets and threads

// "auto", "scalar", "avx2", "avx512", "neon"; NULL if there is no such set.
LOCUS_API const char *locus_isa_name(locus_isa isa);
// 1 if its kernels are compiled in and this machine can run them.
LOCUS_API int locus_isa_supported(locus_isa isa);

#ifndef LOCUS_NO_THREADS
// Start `count` threads, the caller's included (0: as many as processors), for one call at a time. Allocates. Without
// POSIX threads *out is NULL, the calling thread. Fails: LOCUS_ERR_ARGUMENT, _MEMORY.
LOCUS_API locus_status locus_threads_create(const locus_parallel **out, size_t count, locus_error *err);
// Stop and free what was created here. NULL is fine.
LOCUS_API void locus_threads_destroy(const locus_parallel *threads);
#endif

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
// LOCUS_ERR_FORMAT, _UNSUPPORTED, _OVERFLOW, _MEMORY. Safe on untrusted bytes: never reads outside [data, data +
// bytes).
LOCUS_API locus_status locus_npy_parse(locus_array *out, const void *data, size_t bytes, locus_error *err);
// Convert elements [first, first + count) to float. F16, F32, F64 and all integer types; booleans become 0 and 1.
LOCUS_API locus_status locus_array_to_f32(const locus_array *a, size_t first, size_t count, float *out,
                                          locus_error *err);
#ifndef LOCUS_NO_STDIO
// The same from a file, mapped where the system can, else read into a block allocated for it. Close with
// locus_array_close.
LOCUS_API locus_status locus_npy_open(locus_array *out, const char *path, locus_error *err);
// Write an array as .npy version 1.0 (allocates nothing). The file appears whole or not at all. dtype: U8, BOOL, I32,
// I64, F16, F32, F64.
LOCUS_API locus_status locus_npy_save(const char *path, locus_dtype dtype, const size_t *shape, size_t rank,
                                      const void *data, locus_error *err);
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
// Write tensors (name, dtype_name or dtype, rank, shape, data; bytes and count are computed for known dtypes) and
// metadata. Data is little-endian as in the views. Names and keys must be unique, valid UTF-8, not "__metadata__".
// The file appears whole or not at all. Allocates while it works.
LOCUS_API locus_status locus_safetensors_save(const char *path, const locus_tensor *tensors, size_t tensor_count,
                                              const locus_metadata *metadata, size_t metadata_count, locus_error *err);
#endif

// ---- the net: encoder and predictor weights
//
// A locus_net is read-only once made: any number of threads may use it at the same time.

typedef enum locus_encoder_kind { LOCUS_ISAB = 0, LOCUS_SAB = 1 } locus_encoder_kind;

typedef struct locus_net_info { // text and query_encoder live as long as the net
    size_t q_dim, z_dim, n_heads, n_layers, m_induce, decoder_hidden;
    locus_encoder_kind encoder_kind;
    int has_encoder;
    locus_isa isa;             // of the kernels in use
    uint64_t hash;             // of all weights, encoder and predictor; what a pool remembers of its net
    uint64_t encoder_hash;     // of the encoder's weights alone
    const char *query_encoder; // metadata "query_encoder": which sentence encoder; "" if the file does not say
    const locus_text *text;    // the text encoder that it carries; NULL: queries are encoded by something else
    double recall_weight;      // metadata "memory_weight": what suited a recall beside this net on the training's
                               // validation queries; 0: the file does not say
    size_t parameters;         // number of weights in memory
    size_t bytes;              // memory that the net takes
} locus_net_info;

// Build a net from a parsed file (the authors' names and shapes, method.md), which may be closed afterwards.
// Fails: LOCUS_ERR_METADATA, _TENSOR, _UNSUPPORTED, _NONFINITE_WEIGHT, _HASH, _MISMATCH, _FORMAT, _ISA, _MEMORY.
LOCUS_API locus_status locus_net_create(locus_net **out, const locus_safetensors *st, const locus_run *run,
                                        locus_error *err);
#ifndef LOCUS_NO_STDIO
// From a path; allocates for the list of its tensors.
LOCUS_API locus_status locus_net_open(locus_net **out, const char *path, const locus_run *run, locus_error *err);
#endif
LOCUS_API void locus_net_destroy(locus_net *net);
LOCUS_API locus_net_info locus_net_get_info(const locus_net *net);

// ---- text encoders

// name <- "locus-text-1/" and the fingerprint in 16 hex digits: a hash of the encodings of the probe texts. This is the
// net's query_encoder; a net whose tables give another fingerprint is refused (LOCUS_ERR_MISMATCH).
// Fails: LOCUS_ERR_ARGUMENT.
LOCUS_API locus_status locus_text_name(const locus_text *encoder, char name[LOCUS_TEXT_NAME_BYTES], locus_error *err);

// Texts of a JSON-lines file, one object a line: "text" (a string; needed where there is no category), "id" (a string
// or number), "category" (a string); other keys are passed over, as are empty lines.
typedef struct locus_texts {
    size_t count;
    const char *const *texts; // [count] UTF-8, terminated, no NUL inside; NULL where a line has none
    const size_t *bytes;      // [count] their lengths
    const char *const *ids;   // [count] "" where a line has none
    const char *const *categories;
    void *owned;
} locus_texts;

// Copies what it keeps. Safe on untrusted bytes: never reads outside [data, data + bytes), takes about their size and
// 32 bytes a line. Fails: LOCUS_ERR_FORMAT (names the line), _ARGUMENT, _MEMORY; _IO.
LOCUS_API locus_status locus_texts_parse(locus_texts *out, const void *data, size_t bytes, const locus_run *run,
                                         locus_error *err);
#ifndef LOCUS_NO_STDIO
LOCUS_API locus_status locus_texts_open(locus_texts *out, const char *path, const locus_run *run, locus_error *err);
#endif
LOCUS_API void locus_texts_close(locus_texts *texts);

#ifndef LOCUS_NO_TRAIN
typedef struct locus_text_train_opts {
    size_t dim;        // 0: 128
    size_t rows;       // at most; 0: 12288 (with dim 128: 1.65 MB in the file)
    size_t iterations; // of the subspace; 0: 4
    uint64_t seed;
} locus_text_train_opts;

// *out <- an encoder learned from `count` texts alone: of the features that at least two of them share the most
// frequent get rows, the leading right singular vectors of the texts' weighted features. 8,000 questions take about ten
// seconds on one core. The same on every run and for every number of threads. bytes NULL: texts end at their NUL.
// Fails: LOCUS_ERR_ARGUMENT (also if no two texts share anything), _OVERFLOW, _MEMORY, _CANCELLED.
LOCUS_API locus_status locus_text_train(locus_text **out, const char *const *texts, const size_t *bytes, size_t count,
                                        const locus_text_train_opts *opts, const locus_run *run, locus_error *err);
LOCUS_API void locus_text_destroy(locus_text *encoder);
#endif

// ---- the pool: models, embeddings, and what is known of them
//
// A pool belongs to a net, which must outlive it. Any number of threads may predict and route with it. The functions
// that change it, those that take it without const, need it alone. A pool may be handed what it holds itself: a model
// or an embedding of its own to add or set.

typedef struct locus_model {
    char name[192];       // UTF-8, terminated, unique in the pool, no control characters
    float parameters_b;   // billions; NaN: unknown
    double cost;          // of one query, in the user's unit; finite, >= 0; NaN: unknown, which is not free
    int available;        // 0: never chosen
    uint64_t evaluations; // behind the embedding; 0: unknown
} locus_model;

typedef struct locus_calibration { // logit <- scale * logit + shift
    float scale;                   // > 0
    float shift;
} locus_calibration;

typedef struct locus_recall_info {
    size_t landmarks; // 0: the pool has no recall
    size_t queries;   // evaluated queries behind it
    size_t models;    // that have a part in it
    double weight;
} locus_recall_info;

typedef struct locus_pool_info {
    const char *query_encoder; // what encodes its queries; "" if not said; lives as long as the pool
    locus_recall_info recall;
    locus_guard guard;
    int calibrated;
    locus_calibration calibration; // the pool's, which models that are added take; {1, 0} if it is not calibrated
} locus_pool_info;

// An empty pool with room for `capacity` models; it grows as needed, but in run->memory. query_encoder: name of what
// encodes the queries; "" or NULL: the net's. Fails: LOCUS_ERR_ARGUMENT, _MISMATCH, _MEMORY.
LOCUS_API locus_status locus_pool_create(locus_pool **out, const locus_net *net, size_t capacity,
                                         const char *query_encoder, const locus_run *run, locus_error *err);
// A pool of its own with the same content: a snapshot to route with while another thread changes the pool. To publish a
// change: copy the pool that others route with, change the copy, exchange your pointer, destroy the old one when no one
// routes with it any more. Fails: LOCUS_ERR_ARGUMENT, _MEMORY.
LOCUS_API locus_status locus_pool_copy(locus_pool **out, const locus_pool *pool, const locus_run *run,
                                       locus_error *err);
LOCUS_API void locus_pool_destroy(locus_pool *pool);

LOCUS_API size_t locus_pool_count(const locus_pool *pool);
LOCUS_API locus_pool_info locus_pool_get_info(const locus_pool *pool);
// The model and its embedding (z_dim floats); NULL if index is out of range. Valid until the pool changes.
LOCUS_API const locus_model *locus_pool_model(const locus_pool *pool, size_t index);
LOCUS_API const float *locus_pool_embedding(const locus_pool *pool, size_t index);
// Index of the model of that name, or SIZE_MAX.
LOCUS_API size_t locus_pool_find(const locus_pool *pool, const char *name);

// Append a model; *index (may be NULL) <- its place. Allocates where the pool grows. Fails: LOCUS_ERR_ARGUMENT, _NAME,
// _POOL (cost, embedding), _MEMORY; and so do those below.
LOCUS_API locus_status locus_pool_add(locus_pool *pool, const locus_model *model, const float *z, size_t *index,
                                      locus_error *err);
// Replace a model's data, its embedding, or both (NULL: keep).
LOCUS_API locus_status locus_pool_set(locus_pool *pool, size_t index, const locus_model *model, const float *z,
                                      locus_error *err);
LOCUS_API locus_status locus_pool_set_available(locus_pool *pool, size_t index, int available, locus_error *err);
LOCUS_API locus_status locus_pool_set_cost(locus_pool *pool, size_t index, double cost, locus_error *err);
LOCUS_API locus_status locus_pool_rename(locus_pool *pool, size_t index, const char *name, locus_error *err);
// Take a model out; those behind it move down by one.
LOCUS_API locus_status locus_pool_remove(locus_pool *pool, size_t index, locus_error *err);

// A guard is a default model that routing keeps unless another's predicted chance (with a price: utility) is more than
// `margin` higher. Part of the pool and of its file; locus_route and its kin use it unless their options say otherwise.
// model SIZE_MAX: none. It follows its model when others are removed, and goes with it. Fails: LOCUS_ERR_ARGUMENT.
LOCUS_API locus_status locus_pool_set_guard(locus_pool *pool, size_t model, double margin, locus_error *err);

// ---- the pool's recall of the evaluated queries (method: see >>recall)
//
// An encoder that learned from few models keeps less of a model than its evaluations tell. A pool may carry, beside the
// embeddings, what happened on the evaluated queries: at most 512 numbers for each model and about 300 KB for the pool.
// The logits of locus_predict and locus_route are then (1 - weight) times the net's plus weight times the recall's for
// the models that have it. Files of pools carry it along. That of files before 0.4 is another kind and stays so.

// How much the recall counts, above 0 to 1; 0 drops it: the net alone predicts.
LOCUS_API locus_status locus_pool_set_recall(locus_pool *pool, double weight, locus_error *err);
typedef struct locus_learn_opts {
    double recall_weight;     // 0 to 1; 0: what the net's training found, else 0.8
    locus_queries unlabelled; // encodings that the space is learned from, no scores needed; count 0: evals' scored ones
    int no_recall, no_guard;  // 1: it stays as it is
} locus_learn_opts;

// Learn recall and guard from the evaluations of all models of the pool, in the pool's order; older ones are replaced.
// The guard's default is the model that they find best; its margin that from which changing to another pays, judged in
// five parts, each predicted from the four others (method: see >>guard). The pool must be on the heap, and run->memory
// NULL. On failure the pool is as before. Numbers in encodings: below 1e6.
// Fails: as locus_encode, LOCUS_ERR_ARGUMENT, _OVERFLOW, _MEMORY.
LOCUS_API locus_status locus_pool_learn(locus_pool *pool, const locus_evals *evals, const locus_learn_opts *opts,
                                        const locus_run *run, locus_error *err);
// A model joins the pool by its evaluations (scores.models = 1), or is known better now: its embedding, and its part of
// the recall if the pool has one. Nothing else changes. A new name gets a model of unknown cost and size, available;
// *index (may be NULL) receives its place. Fails: as locus_encode, LOCUS_ERR_NAME, _POOL, _MEMORY.
LOCUS_API locus_status locus_pool_join(locus_pool *pool, const char *name, const locus_evals *evals, size_t *index,
                                       const locus_run *run, locus_error *err);
// The recall's part alone, for a model whose embedding comes from elsewhere. Without it the net alone predicts the
// model.
LOCUS_API locus_status locus_pool_recall_model(locus_pool *pool, size_t index, const locus_evals *evals,
                                               const locus_run *run, locus_error *err);

// Read the pool in a file (a pool file or a router file), which may be closed afterwards.
// Fails: LOCUS_ERR_NO_POOL, _METADATA, _MISMATCH, _QUERY_DIM, _TENSOR, _UNSUPPORTED, _POOL, _NAME, _MEMORY; and of
// open, all of the reader's.
LOCUS_API locus_status locus_pool_load(locus_pool **out, const locus_net *net, const locus_safetensors *st,
                                       const locus_run *run, locus_error *err);
#ifndef LOCUS_NO_STDIO
LOCUS_API locus_status locus_pool_open(locus_pool **out, const locus_net *net, const char *path, const locus_run *run,
                                       locus_error *err);
typedef enum locus_save_what {
    LOCUS_SAVE_POOL = 0,      // the pool alone
    LOCUS_SAVE_ROUTER = 1,    // with the predictor: all that an edge router needs
    LOCUS_SAVE_EVERYTHING = 2 // with predictor and encoder: can also embed new models
} locus_save_what;
// Write a pool file or a router file. net_file: the file that the pool's net was made from; needed for
// LOCUS_SAVE_ROUTER and _EVERYTHING, else NULL. Allocates a copy of the pool's data. The file appears whole or not at
// all. Fails: LOCUS_ERR_ARGUMENT, _MISMATCH, _NO_ENCODER, _MEMORY, _IO.
LOCUS_API locus_status locus_pool_save(const locus_pool *pool, const char *path, locus_save_what what,
                                       const locus_safetensors *net_file, locus_error *err);
#endif

// ---- predictor (method.md, "Correctness predictor")

// logits[count, M] <- for every query and every model of the pool, available or not. Bit-identical for every batching
// and every number of threads. Fails: LOCUS_ERR_ARGUMENT, _QUERY_DIM, _OVERFLOW, _MEMORY, _CANCELLED, _NONFINITE (an
// encoding, or the logit that it gives with a model: names both).
LOCUS_API locus_status locus_predict(const locus_pool *pool, const locus_queries *queries, float *logits,
                                     const locus_run *run, locus_error *err);

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

// out[count, top] <- ranked choices: by utility, then logit, then lower index, so the same input gives the same
// answer. With a default that is kept, it comes first and the others follow in order. logits (NULL or [count, M])
// receives the logits. opts may be NULL. Fails: as locus_predict, and LOCUS_ERR_NO_CANDIDATE.
LOCUS_API locus_status locus_route(const locus_pool *pool, const locus_queries *queries, const locus_route_opts *opts,
                                   locus_choice *out, float *logits, const locus_run *run, locus_error *err);

// The same from logits [count, M] that the caller has. NaN among them: LOCUS_ERR_NONFINITE.
LOCUS_API locus_status locus_rank(const locus_pool *pool, const float *logits, size_t count,
                                  const locus_route_opts *opts, locus_choice *out, locus_error *err);

// *lambda <- the smallest price of cost at which the mean cost of the first choices over these queries (their logits,
// [count, M]) is at most `budget`, to a relative 1e-9; found by bisection. opts gives the other rules (its lambda is
// ignored). A budget needs costs: *lambda may be 0, so route with LOCUS_UNPRICED_REFUSE where opts has AUTO. (With
// ALLOW an unknown cost enters the mean as what it counts as.)
// Fails: LOCUS_ERR_BUDGET (even the cheapest candidates cost more), _NO_CANDIDATE (a query has none, or none of known
// cost), _ARGUMENT, _NONFINITE.
LOCUS_API locus_status locus_lambda_for_budget(const locus_pool *pool, const float *logits, size_t count, double budget,
                                               const locus_route_opts *opts, double *lambda, double *mean_cost,
                                               locus_error *err);

// ---- metrics (method.md, "Metrics")

typedef enum locus_among {
    LOCUS_AMONG_ALL = 0, // a missing score counts as a miss: score 0
    LOCUS_AMONG_SCORED   // replay of a log with holes: a query's candidates are the models that have a score on it
} locus_among;

// A missing score is left out of the figures of prediction. A model is right where its score is > 0.5; the figures
// named score are means of the scores themselves. Ties among logits go to the lower index.
typedef struct locus_metrics {
    size_t queries, left_out;   // counted; without a candidate, and in none of the figures
    size_t pairs;               // (query, model) pairs that have a score
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

typedef struct locus_metrics_opts {
    const size_t *columns; // [n] the column of each row of logits in scores; NULL: row i is column i
    const int32_t *select; // [n] rows with select[i] != value are skipped: one category, one split; NULL: none
    int32_t value;
    locus_among among;
    const unsigned char *available;       // [M] 0: never a candidate; NULL: all are
    const unsigned char *query_available; // [n, M] 0: not for this query; NULL: all are
    const size_t *leaders;                // [leader_count] models, best first, chosen on training data (locus_leaders);
    size_t leader_count;                  // a query's leader is the first that is a candidate, after them by index
    const locus_choice
        *choices; // [n] chosen by whatever rules (locus_rank, top 1); NULL: the candidates' highest logit
} locus_metrics_opts;

// logits [n, M]; opts may be NULL. Fails: LOCUS_ERR_ARGUMENT, _SCORE, _NONFINITE (a logit), _OVERFLOW, _MEMORY.
LOCUS_API locus_status locus_metrics_compute(locus_metrics *out, const float *logits, size_t n,
                                             const locus_scores *scores, const locus_metrics_opts *opts,
                                             const locus_run *run, locus_error *err);
// order[M] <- the models, best first, and means[M] (may be NULL) <- what they are ordered by: their mean score on
// `columns` (NULL: all). LOCUS_AMONG_ALL: missing = 0. LOCUS_AMONG_SCORED: models that were asked different things are
// compared by score = model + query, fitted by least squares, each model at the lower end of its standard error; models
// without any come last, their mean is NaN. Equals by index. Fails: LOCUS_ERR_ARGUMENT, _SCORE, _MEMORY.
LOCUS_API locus_status locus_leaders(const locus_scores *scores, const size_t *columns, size_t count, locus_among among,
                                     size_t *order, double *means, const locus_run *run, locus_error *err);

// ---- quality against money
//
// Any router that gives logits, or logits of probabilities, can be judged: a pool is not needed.

typedef struct locus_interval {
    double value, low, high;
} locus_interval;

// The mean of a[i] - b[i] with the interval of a paired bootstrap over i (percentiles; level 0: 0.9; resamples 0:
// 1000), the same for the same seed. Fails: LOCUS_ERR_ARGUMENT (also: not finite), _MEMORY.
LOCUS_API locus_status locus_paired_difference(const double *a, const double *b, size_t count, double level,
                                               size_t resamples, uint64_t seed, locus_interval *out,
                                               const locus_run *run, locus_error *err);

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
    size_t weak, strong; // models between which the gap is looked at; the same: none
} locus_frontier_opts;

typedef struct locus_tradeoff {
    double cost, quality; // means over the queries
} locus_tradeoff;

typedef struct locus_frontier_point { // the router at one price
    double lambda, cost, quality, right;
    locus_interval gain; // its quality less the zero router's at the same cost; NaN where that has none
    int corner;          // 1: of the router's hull
} locus_frontier_point;

// The zero router (RouterBench, arXiv 2403.12031): the hull of what can be had without looking at the query, from
// models that are candidates on every query, each alone; and, where `means` are given, at each price the candidate of
// highest mean - lambda * mean cost.
typedef struct locus_zero_corner {
    locus_tradeoff mean;
    size_t model; // that is taken on most queries,
    double share; // on this share of them
} locus_zero_corner;

typedef struct locus_single { // one model
    locus_tradeoff mean;      // on the queries on which it is a candidate; NaN: on none
    size_t candidate;         // how many these are; figures of different queries are hard to compare
} locus_single;

typedef struct locus_gap {    // a router between two models, on the queries where both are candidates: those go to
    size_t queries;           // `strong` where its chance exceeds `weak`'s most
    double weak, strong;      // mean scores
    locus_interval recovered; // APGR (RouteLLM, arXiv 2406.18665): mean over the share of queries that go to `strong`
                              // of (score - weak) / (strong - weak); random: 0.5. NaN unless strong > weak
    double calls_half, calls_most; // least share to `strong` that recovers 50, 80 % of the gap; NaN: never does
} locus_gap;

typedef struct locus_frontier {
    size_t queries, left_out; // counted; without a candidate of known (or allowed) cost, and in no figure
    size_t points, corners, zero_corners;
    locus_tradeoff leader_mean, random, oracle; // oracle: the cheapest of those with the highest score
    double low, high;                       // costs that AIQ is taken over: of the zero router's first and last corner
    locus_interval aiq, zero_aiq, aiq_gain; // AIQ (RouterBench): mean of the hull's quality over these costs
    locus_interval at_leader;               // the router's quality, at the leader's cost, less the leader's
    double level[LOCUS_FRONTIER_LEVELS];    // qualities, of the leader's ...
    locus_interval cost[LOCUS_FRONTIER_LEVELS], saving[LOCUS_FRONTIER_LEVELS]; // ... what the router pays for them
    double zero_cost[LOCUS_FRONTIER_LEVELS];                                   // (NaN: it never gets there) and saves:
                                                                               // 1 - cost / the leader's
    locus_gap gap;                                                             // with opts->weak and strong
} locus_frontier;

// The frontier of quality (mean score) against mean cost over the price of cost, and what to compare it with. cost: in
// opts->rules (query_cost or cost). With P = opts->points or 64: points[P], out->points of them, from the dearest to
// the cheapest; zero[P + M], out->zero_corners of them, from the cheapest to the dearest; singles[M]. The prices are
// quantiles of those at which some query's choice changes. Intervals are percentiles of a paired bootstrap over the
// queries. Fails: LOCUS_ERR_ARGUMENT, _SCORE, _NONFINITE (a logit that is NaN), _NO_CANDIDATE (weak and strong: with
// out->gap.queries 0; or on every query, whatever the gap, which stands), _OVERFLOW, _MEMORY.
LOCUS_API locus_status locus_frontier_compute(locus_frontier *out, locus_frontier_point *points,
                                              locus_zero_corner *zero, locus_single *singles, const float *logits,
                                              size_t n, const locus_scores *scores, const locus_frontier_opts *opts,
                                              const locus_run *run, locus_error *err);

// ---- calibration: probabilities that come true
//
// logit <- scale * logit + shift, two numbers a model, each model's shrunk towards the pool's and the pool's towards
// (1, 0), learned on evaluations that neither net nor embeddings have seen. Part of the pool and of its file:
// locus_predict and locus_route apply it. A model that is added later takes the pool's.

// A model's, or with index SIZE_MAX the pool's; {1, 0} if the pool is not calibrated.
LOCUS_API locus_calibration locus_pool_calibration(const locus_pool *pool, size_t index);
#ifndef LOCUS_NO_EXPLORE
// Learn it from held-out evaluations of the pool's models, in the pool's order (a model may have none); replaces an
// older one. evals NULL: back to the plain logits. Method: Platt's scaling (1999), two levels, see >>calibration. On
// failure the pool is as before. Fails: LOCUS_ERR_ARGUMENT, _QUERY_DIM, _SCORE, _NONFINITE, _EMPTY_SET (no evaluation
// at all), _OVERFLOW, _MEMORY.
LOCUS_API locus_status locus_pool_calibrate(locus_pool *pool, const locus_evals *evals, const locus_run *run,
                                            locus_error *err);

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
// a model: its embedding, and its *profile*: its predicted chances over a sample of queries. The profile is what the
// predictor knows and the geometry does not; where both will do, prefer it.
//
// Results depend on no number of threads in any bit; ties go to the lower index. Any number of threads may call them.
// All refuse numbers that are not finite or beyond 1e18 (LOCUS_ERR_NONFINITE) and allocate while they work, see
// locus_run; a progress function may stop them. available: [rows] 0: never picked, never a neighbour; NULL: all are.

typedef struct locus_points {
    const float *rows; // [count, dim]
    size_t count, dim;
    size_t stride; // floats from one row to the next; 0: dim
} locus_points;

// profiles[M, count] <- the chance of every model (rows) on every query (columns); with `known` [M, count] (or NULL)
// the score where there is one: what has been answered is known. (For portfolios keep the chances: the best of several
// answers is luck.) Fails: as locus_predict; LOCUS_ERR_SCORE.
LOCUS_API locus_status locus_profiles(const locus_pool *pool, const locus_queries *queries, const locus_scores *known,
                                      float *profiles, const locus_run *run, locus_error *err);

typedef enum locus_metric {
    LOCUS_COSINE = 0,   // 1 - cos, 0 to 2; a row of zeros is at 1 from all
    LOCUS_EUCLIDEAN,    // |a - b|
    LOCUS_DISAGREEMENT, // of profiles, 0 to 1: mean of p_a (1 - p_b) + (1 - p_a) p_b, expected share of unlike answers
    LOCUS_RMS,          // root of the mean squared difference
    LOCUS_METRIC_COUNT
} locus_metric;

// out[a, b] <- distances of all rows of a from all rows of b (NULL: of a), each to a relative 1e-5 (plus 1e-6).
LOCUS_API locus_status locus_distances(const locus_points *a, const locus_points *b, locus_metric metric, float *out,
                                       const locus_run *run, locus_error *err);

typedef struct locus_neighbour {
    size_t index;   // SIZE_MAX in places beyond the number of candidates
    float distance; // FLT_MAX there
} locus_neighbour;

// out[n, k] <- for each row of `of` the k nearest rows of `points`, nearest first. of NULL: for each row of points
// itself, which is no neighbour of its own. Exact, and the same with every instruction set. For small k.
// A stand-in for a model that is down: its first neighbour that is available, by LOCUS_RMS of profiles, which real
// agreement follows better than the embeddings' distance; where most queries are answered, by LOCUS_DISAGREEMENT of
// profiles with known answers. (Of chances alone that takes answers for independent and so prefers models that are sure
// of themselves.)
LOCUS_API locus_status locus_neighbours(const locus_points *points, const locus_points *of, locus_metric metric,
                                        const unsigned char *available, size_t k, locus_neighbour *out,
                                        const locus_run *run, locus_error *err);

typedef enum locus_linkage {
    LOCUS_AVERAGE = 0, // mean distance of the pairs
    LOCUS_COMPLETE,    // largest
    LOCUS_SINGLE,      // smallest
    LOCUS_WARD         // growth of the summed squared distance from the mean, as a distance (scipy's); Euclidean or RMS
} locus_linkage;

// Clusters 0 .. n-1 are the rows, n + i is what merge i makes of a < b. Heights never fall (scipy.cluster.hierarchy's
// Z).
typedef struct locus_merge {
    size_t a, b;
    double height;
    size_t size; // rows in it
} locus_merge;

// merges[n - 1] <- agglomerative clustering by the nearest-neighbour chain (Murtagh 1983; Muellner 2011) in a distance
// matrix, 4 n^2 bytes, O(n^2) time.
LOCUS_API locus_status locus_cluster(const locus_points *points, locus_metric metric, locus_linkage linkage,
                                     locus_merge *merges, const locus_run *run, locus_error *err);
// label[n] <- 0 to *clusters - 1, numbered by first row: the tree cut into `count` clusters, or, where count is 0, at
// `height`: merges up to it are done. clusters may be NULL. Fails: LOCUS_ERR_ARGUMENT (also what is no tree).
LOCUS_API locus_status locus_cluster_cut(const locus_merge *merges, size_t n, size_t count, double height,
                                         size_t *label, size_t *clusters, const locus_run *run, locus_error *err);

// picks[k] <- medoids: k rows that make the mean distance of all rows to the nearest of them small, ascending.
// label[n] (may be NULL) <- place in picks of each row's; mean_distance may be NULL. Greedy, then each in turn gives
// way to the row that is best in its place, until none does (Kaufman and Rousseeuw 1990): a local optimum. Works in a
// distance matrix, 4 n^2 bytes; k n^2 time and more.
LOCUS_API locus_status locus_medoids(const locus_points *points, locus_metric metric, const unsigned char *available,
                                     size_t k, size_t *picks, size_t *label, double *mean_distance,
                                     const locus_run *run, locus_error *err);
// picks[k] <- k-center: starts from the 1-medoid, then always the row farthest from those picked (Gonzalez 1985), so
// that the first j picks are the answer for j. radius[k] (may be NULL) <- largest distance of any row to the first j
// picks. Beyond 4,096 rows the 1-medoid is the row nearest to the mean (of unit rows for cosine).
LOCUS_API locus_status locus_centers(const locus_points *points, locus_metric metric, const unsigned char *available,
                                     size_t k, size_t *picks, float *radius, const locus_run *run, locus_error *err);

typedef struct locus_portfolio_opts {
    size_t count;                   // at most so many models; 0: no limit
    double budget;                  // on the sum of their costs; 0: no limit
    double lambda;                  // price of cost: what is maximised is value - lambda * cost
    const float *cost;              // [M] >= 0; needed for budget and lambda
    const float *weight;            // [Q] of the queries, >= 0; NULL: all 1
    const unsigned char *available; // [M]
    const unsigned char *required;  // [M] 1: is in it anyway (counts towards count and budget); NULL: none
    int greedy_only;                // 1: no swaps: the first j picks are the greedy answer for j
} locus_portfolio_opts;

typedef struct locus_portfolio {
    size_t count;
    double value; // mean over the queries of the best profile in the set: what perfect routing by p would score
    double cost;  // sum over the set
    double bound; // no set within the limits has a larger value - lambda * cost than this
} locus_portfolio;

// picks[M or opts->count] <- the set of models whose best is best: maximises a monotone submodular function less a
// linear cost. Greedy by gain and by gain per cost (Minoux 1978; Nemhauser, Wolsey, Fisher 1978; Leskovec et al. 2007),
// then swaps while one helps. profiles: [M, Q], in [0,1]. First what is required, then in the order of picking; after
// swaps, of gain. A model that adds nothing (less its price) is not picked: there may be fewer than count, with a high
// lambda none. value_of[j] (may be NULL, as long as picks) <- the value of the first j + 1 picks. The same with every
// instruction set. Fails: LOCUS_ERR_ARGUMENT, _BUDGET (what is required costs more, or is more than count),
// _NO_CANDIDATE.
LOCUS_API locus_status locus_portfolio_choose(const locus_points *profiles, const locus_portfolio_opts *opts,
                                              size_t *picks, double *value_of, locus_portfolio *out,
                                              const locus_run *run, locus_error *err);

// ---- uncertainty

typedef struct locus_resample_opts {
    size_t count; // resampled versions; 0: 32
    uint64_t seed;
} locus_resample_opts;

// *out <- a pool of what the model might be, given only these evaluations (scores.models = 1): `count` versions of it,
// "#1", "#2", ..., each from as many evaluations drawn with replacement, with the pool's shared calibration and, if the
// pool has a recall, a resampled part in it. Its profiles and points are draws of the model's; feed them to
// locus_interval_of. Version r depends on the seed, r and the evaluations alone, in the order of their rows.
//
// The intervals say where all evaluations of the model would put its predictions, distances and agreement with others:
// on models that the net had not seen nominal 90 % covered 84 to 97 % from 32 to 1,024 evaluations
// (bench/experiments/coverage.c). What the predictor cannot express stays outside: accuracies then observed were
// covered in 76 to 92 %.
//
// 32 versions of 128 / 1,024 / 4,096 evaluations on one core: 57 / 140 / 480 ms with a recall. Works in about 5 KB an
// evaluation. Fails: as locus_encode; LOCUS_ERR_POOL, _OVERFLOW, _CANCELLED.
LOCUS_API locus_status locus_pool_resample(locus_pool **out, const locus_pool *pool, const locus_evals *evals,
                                           const locus_resample_opts *opts, const locus_run *run, locus_error *err);

// Interval around `value` from resampled values of it: value -+ t * deviation, t of Student's distribution with
// count - 1 degrees of freedom. level: 0.9 for 90 %. count < 2: NaN bounds.
LOCUS_API locus_interval locus_interval_of(double value, const double *resampled, size_t count, double level);

// ---- comparison of two models

typedef struct locus_comparison {
    locus_interval distance;               // cosine, of the embeddings
    locus_interval accuracy_a, accuracy_b; // mean of the profile
    locus_interval difference;             // a - b
    locus_interval agreement;              // predicted: mean of p_a p_b + (1 - p_a) (1 - p_b), see `correlation`
    locus_interval observed;               // share of shared answers alike, right being above 1/2 (Wilson)
    size_t shared;                         // queries that both have a score for
} locus_comparison;

typedef struct locus_compare_opts {
    double level;            // 0: 0.9
    double correlation;      // of answers given their chances, -1 to 1 (locus_answer_correlation; about 0.3 on real
                             // models, which agree more than 0, independence, lets expect)
    const int32_t *category; // [queries] 0 to categories - 1, others belong to none; or NULL
    size_t categories;
    locus_interval *by_category; // [categories] <- difference a - b in each; NULL: not wanted
    size_t resamples;            // versions of each model; 0: 32
    uint64_t seed;
} locus_compare_opts;

// Two models of the pool on these queries (evals NULL: their distance alone). evals->scores: what all the pool's models
// [M, count] answered, or all zero. The intervals come from versions of both, see locus_pool_resample: of a model with
// two scores at least and a net with its encoder; else, and where there is no query, bounds are NaN. opts may be NULL.
// Fails: as locus_pool_resample and locus_profiles.
LOCUS_API locus_status locus_compare(const locus_pool *pool, size_t a, size_t b, const locus_evals *evals,
                                     const locus_compare_opts *opts, locus_comparison *out, const locus_run *run,
                                     locus_error *err);

// ---- duplicates and silent swaps

typedef struct locus_likeness { // of two models, on the queries that both answered
    size_t shared, disagreements;
    double p; // the chance that two *different* models would disagree on as few, or fewer: exact; nothing shared: 1
} locus_likeness;

// How alike do models a and b of the scores (0, 1 or missing) answer, each right with a chance of its own (p_a, p_b
// [count])? correlation: of two models' answers given their chances, -1 to 1: what makes a question hard for one makes
// it hard for the other. With 0 nearly all pairs look like copies; pass what locus_answer_correlation finds among
// models known to differ. Small p: the same model, or copies. Takes shared times disagreements steps.
// Fails: LOCUS_ERR_ARGUMENT, _SCORE, _MEMORY.
LOCUS_API locus_status locus_same_answers(locus_likeness *out, const float *p_a, const float *p_b,
                                          const locus_scores *scores, size_t a, size_t b, double correlation,
                                          const locus_run *run, locus_error *err);
// Of two models' answers given their chances, sum (x - p_a)(y - p_b) / sum sqrt(p_a (1 - p_a) p_b (1 - p_b)) over their
// shared queries: *mean (may be NULL) and *correlation, the quantile (0 to 1), over all pairs of models. Pairs differ
// much in it (relatives err alike), so a test with the mean accuses a tenth of all pairs. With the 0.95 quantile
// "different" means: no more alike than all but the most alike 5 % of pairs here, and at most about those 5 % can be
// accused at all. profiles: chances [M, n]; scores [M, n], 0, 1 or missing. Without a pair: 0. Fails: likewise.
LOCUS_API locus_status locus_answer_correlation(const locus_points *profiles, const locus_scores *scores,
                                                double quantile, double *mean, double *correlation,
                                                const locus_run *run, locus_error *err);

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
    // A set that was chosen well is no fair sample, and would mislead whoever takes it for one: here it is completed.
    float *chances;         // [n] <- scores where there are, elsewhere the model's chances, to learn the recall from;
    unsigned char *answers; // [n] <- with chances: the same as 0 and 1 in as many as they add up to, for locus_encode
} locus_next_opts;

typedef struct locus_next {
    size_t count;            // picked
    locus_interval accuracy; // over the queries given, as far as is known, 90 %
    double error; // expected root mean squared error of the predicted chances that more evaluations could remove
    double gain;  // how much of its square this batch is expected to remove
    int enough;   // 1: the next would remove less than a hundredth of that: more does not pay
} locus_next;

// picks[batch] <- rows of evals (scores.models = 1; missing: not yet asked; all may be) to evaluate next. The pool,
// with a recall, is the prior: what it knows of the queries' difficulty and how models differ. The rows also stand for
// the queries that the model is wanted for. picks and out NULL: only opts->chances are wanted. Method: >>next. Works in
// about 20 KB a row; 1,000 rows take 0.2 s. Fails: LOCUS_ERR_ARGUMENT (a pool without recall), _QUERY_DIM, _SCORE,
// _NONFINITE, _POOL, _MEMORY, _NO_CANDIDATE (nothing may be asked: accuracy, error and chances are there).
LOCUS_API locus_status locus_next_evaluations(const locus_pool *pool, const locus_evals *evals,
                                              const locus_next_opts *opts, size_t *picks, locus_next *out,
                                              const locus_run *run, locus_error *err);

// ---- why

typedef struct locus_reason {
    size_t evaluation; // row of evals
    float similarity;  // cosine of its encoding with the query's
    float score;
    double influence; // p with it less p without it
} locus_reason;

typedef struct locus_explanation {
    double probability;
    size_t influences, nearest; // how many reasons of each kind
} locus_explanation;

typedef struct locus_explain_opts {
    size_t count;      // reasons wanted of each kind; 0: 8
    size_t candidates; // evaluations nearest to the query whose influence is looked at; 0: 256
} locus_explain_opts;

// Why does `model` have this chance on the query (query->count = 1)? evals: the model's (scores.models = 1).
// influences[count]: those of the candidates whose leaving out moves p most, with either sign; nearest[count]: the
// evaluated queries nearest to it, nearest first. An influence is exact: what taking the evaluation out, encoding,
// learning the model's recall (if it has a part in it) and predicting give, up to rounding. Of a single evaluation
// there is none: NaN. 256 candidates of 128 / 1,024 / 4,096 evaluations on one core: 0.1 / 0.7 / 2.4 s.
// Fails: as locus_pool_resample and locus_predict.
LOCUS_API locus_status locus_explain(const locus_pool *pool, size_t model, const locus_evals *evals,
                                     const locus_queries *query, const locus_explain_opts *opts, locus_explanation *out,
                                     locus_reason *influences, locus_reason *nearest, const locus_run *run,
                                     locus_error *err);

// ---- refine: a running log of evaluations
//
// Keeps what models answered to a shared table of queries: what a window and a second answer to the same query need.
// One thread at a time may use a log.

typedef struct locus_log locus_log;

// Room for `queries` encodings and `models` models; all memory is taken here: an encoding and 24 bytes a query, 12
// bytes for each cell. The net must outlive it. Fails: LOCUS_ERR_ARGUMENT, _OVERFLOW, _MEMORY.
LOCUS_API locus_status locus_log_create(locus_log **out, const locus_net *net, size_t queries, size_t models,
                                        const locus_run *run, locus_error *err);
LOCUS_API void locus_log_destroy(locus_log *log);
// Append or replace the model's score (0 to 1; NaN takes it out) on the query with this encoding; known ones (to the
// bit) are found again. Rows in which no model has a score are given to other queries. Fails: LOCUS_ERR_ARGUMENT,
// _SCORE, _NONFINITE, _MEMORY (full: every row is some model's).
LOCUS_API locus_status locus_log_add(locus_log *log, size_t model, const float *encoding, float score,
                                     locus_error *err);
// Keep only the model's `keep` most recently scored evaluations (a window); 0: none.
LOCUS_API locus_status locus_log_forget(locus_log *log, size_t model, size_t keep, locus_error *err);
// The model's evaluations, to encode and learn from: all rows, NaN where it has no score; empty for a model that is
// none. Valid until the log changes.
LOCUS_API locus_evals locus_log_evals(const locus_log *log, size_t model);

#endif // LOCUS_NO_EXPLORE

#ifndef LOCUS_NO_TRAIN
// ---- training (method.md, "Training"): from evaluations alone to a net
//
//     locus_train_data data = {0};    locus_train_opts opts = {0};       // zero: our recipe
//     data.evals = ...;                                                  // of all models on all queries
//     data.train = rows; data.train_count = n; data.validation = ...;    // which queries are for what
//     if (locus_train_create(&t, &data, &opts, NULL, &err) || locus_train_run(t, &err)) ...
//     locus_train_save(t, "net.safetensors", &err);                      // the best weights so far

typedef struct locus_trainer locus_trainer;

typedef struct locus_train_data {
    locus_evals evals;
    const size_t *train; // [train_count] rows to learn from
    size_t train_count;
    const size_t *validation; // [validation_count] rows that choose the weights to keep; none: the last are kept
    size_t validation_count;
    const size_t *unlabelled; // [unlabelled_count] rows whose encodings alone may be used, or NULL: the training rows
    size_t unlabelled_count;
    const char *query_encoder; // its name, written into the net; NULL: none, or that of
    const locus_text *text;    // the text encoder that made the encodings, written into the net; NULL: none
} locus_train_data;

typedef enum locus_recipe { LOCUS_RECIPE_BEST = 0, LOCUS_RECIPE_PAPER } locus_recipe; // ours; as method.md states it

typedef enum locus_keep {   // which weights are the best
    LOCUS_KEEP_DEFAULT = 0, // BEST: bce, PAPER: hit1
    LOCUS_KEEP_BCE,         // lowest validation cross-entropy
    LOCUS_KEEP_HIT1,        // strictly highest validation routing accuracy
    LOCUS_KEEP_LAST
} locus_keep;

typedef struct locus_epoch { // one step over all models
    size_t epoch, epochs;    // from 1
    double loss;             // mean cross-entropy over the step's targets of real models
    double gradient_norm;    // before clipping
    int evaluated, best;     // 1: metrics are of this epoch; 1: these weights are the best so far
    locus_metrics metrics;   // on the validation rows
    size_t best_epoch;
} locus_epoch;

// This process's share of a step's loss and gradient; the shares of all parts add up to what one process has.
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
    // the net             BEST   PAPER
    size_t z_dim;          // 128    128
    size_t n_heads;        // 4      4       a divisor of z_dim
    size_t n_layers;       // 1      2       at most 16
    size_t m_induce;       // 16     64
    size_t decoder_hidden; // 64     64
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
    // Data-parallel training: models m with m % parts == part (virtual ones likewise) give gradients here; the hook
    // adds the others'. Data, seed and all else must be the same everywhere; draws do not depend on the parts.
    size_t part, parts; // 0, 0: all
    // After each epoch, and with a step's gradient before it is used; user: run->user; nonzero stops
    // (LOCUS_ERR_CANCELLED).
    int (*on_epoch)(void *user, const locus_epoch *epoch);
    int (*on_gradient)(void *user, const locus_gradient *gradient);
} locus_train_opts;

// A trainer with initial weights. Takes all the memory it will ever need; borrows data and run->parallel. One thread at
// a time may use it; its weights do not depend on the number of threads in any bit. opts may be NULL. Fails:
// LOCUS_ERR_ARGUMENT, _QUERY_DIM, _SCORE, _NONFINITE, _EMPTY_SET (a model without a training score), _MISMATCH
// (data.text and query_encoder), _METADATA (n_heads), _ISA, _OVERFLOW, _MEMORY.
LOCUS_API locus_status locus_train_create(locus_trainer **out, const locus_train_data *data,
                                          const locus_train_opts *opts, const locus_run *run, locus_error *err);
LOCUS_API void locus_train_destroy(locus_trainer *trainer);
// The options as resolved.
LOCUS_API locus_train_opts locus_train_options(const locus_trainer *trainer);
// Epochs until the last, or patience ends it. Fails: LOCUS_ERR_CANCELLED (the next call goes on), _DIVERGED (names the
// epoch; the weights before it and the best are kept). Figures of the validation part allocate while they are made.
LOCUS_API locus_status locus_train_run(locus_trainer *trainer, locus_error *err);
// The best weights so far as a net.
LOCUS_API locus_status locus_train_net(locus_net **out, const locus_trainer *trainer, const locus_run *run,
                                       locus_error *err);
#ifndef LOCUS_NO_STDIO
// The same as a file. This and the two below allocate while they work.
LOCUS_API locus_status locus_train_save(const locus_trainer *trainer, const char *path, locus_error *err);
// The whole state, and back into a trainer made with the same data and options: training goes on as if it had never
// stopped, to the last bit. Fails: LOCUS_ERR_MISMATCH where data or options are others, or a number is none that
// training leaves; _IO, _FORMAT. Allocates.
LOCUS_API locus_status locus_train_save_state(const locus_trainer *trainer, const char *path, locus_error *err);
// Allocates.
LOCUS_API locus_status locus_train_load_state(locus_trainer *trainer, const char *path, locus_error *err);
#endif
#endif // LOCUS_NO_TRAIN

#endif // LOCUS_INFERENCE_ONLY

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

// A private function; some configurations do not use all of them. Where size counts none is copied to where it is
// called, but those that are smaller than a call.
#if defined(LOCUSI_FN) // extern: for tests
#elif (defined(__GNUC__) || defined(__clang__)) && defined(LOCUS_INFERENCE_ONLY) && defined(__OPTIMIZE_SIZE__)
#define LOCUSI_FN static __attribute__((noinline, unused))
#elif defined(__GNUC__) || defined(__clang__)
#define LOCUSI_FN static __attribute__((unused))
#else
#define LOCUSI_FN static
#endif
#if defined(__GNUC__) || defined(__clang__)
#define LOCUSI_INLINE inline __attribute__((always_inline))
#elif defined(_MSC_VER)
#define LOCUSI_INLINE __forceinline
#else
#define LOCUSI_INLINE
#endif

// Sums and products of sizes: 0 if they overflow.
static LOCUSI_INLINE int locusi_add(size_t a, size_t b, size_t *out)
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
static LOCUSI_INLINE uint32_t locusi_f32_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static LOCUSI_INLINE float locusi_f32_from(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static LOCUSI_INLINE int locusi_finite(float x) { return (locusi_f32_bits(x) & 0x7f800000u) != 0x7f800000u; }
static LOCUSI_INLINE int locusi_is_nan(float x) { return (locusi_f32_bits(x) & 0x7fffffffu) > 0x7f800000u; }
static LOCUSI_INLINE float locusi_nan(void) { return locusi_f32_from(0x7fc00000u); }

static LOCUSI_INLINE uint64_t locusi_f64_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static LOCUSI_INLINE double locusi_f64_from(uint64_t bits)
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

static LOCUSI_INLINE int locusi_unknown(double x)
{
    return (locusi_f64_bits(x) & 0x7fffffffffffffffu) > 0x7ff0000000000000u;
}
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

// A name of at most `most` bytes, its zero included, without control characters.
LOCUSI_FN int locusi_valid_name(const char *name, size_t most)
{
    size_t n = 0;
    while (n < most && name[n]) {
        if ((unsigned char)name[n] < 32 || name[n] == 127) return 0;
        n++;
    }
    return n < most && locusi_utf8_valid((const unsigned char *)name, n);
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

#if defined(LOCUS_INFERENCE_ONLY) && !defined(LOCUS_MESSAGES)
// The status alone: texts that say what it means, where, what was expected and what was found take 8 KB.
static locus_status locusi_fail_shortly(locus_error *err, locus_status status)
{
    if (!err) return status;
    memset(err, 0, sizeof *err);
    err->status = status;
    memcpy(err->message, "error 00", 8);
    err->message[6] = (char)('0' + status / 10);
    err->message[7] = (char)('0' + status % 10);
    return status;
}
// The texts are looked at by the compiler alone.
int locusi_unsaid(const char *where, ...);
#define locusi_fail(err, status, ...) ((void)sizeof(locusi_unsaid(__VA_ARGS__)), locusi_fail_shortly(err, status))
#else
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
#endif

LOCUSI_FN locus_status locusi_null(locus_error *err, const char *argument)
{
    return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a pointer", "NULL", argument);
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
    size_t bytes;
    if (p && locusi_mul(count, size, &bytes)) memset(p, 0, bytes);
    return p;
}

LOCUSI_FN void *locusi_take_cells(locusi_work *w, size_t rows, size_t columns, size_t size)
{
    size_t count;
    return locusi_take(w, locusi_mul(rows, columns, &count) ? count : SIZE_MAX, size);
}

LOCUSI_FN float *locusi_take_floats(locusi_work *w, size_t rows, size_t columns)
{
    return (float *)locusi_take_cells(w, rows, columns, sizeof(float));
}

LOCUSI_FN float *locusi_take_zeros(locusi_work *w, size_t rows, size_t columns)
{
    float *const p = locusi_take_floats(w, rows, columns);
    if (p) memset(p, 0, rows * columns * sizeof(float));
    return p;
}

// So many arrays of floats, each [rows, columns], for the float ** that follow.
LOCUSI_FN void locusi_take_arrays(locusi_work *w, int arrays, size_t rows, size_t columns, ...)
{
    va_list list;
    va_start(list, columns);
    while (arrays-- > 0) *va_arg(list, float **) = locusi_take_floats(w, rows, columns);
    va_end(list);
}

// The same for doubles and double **.
LOCUSI_FN void locusi_take_doubles(locusi_work *w, int arrays, size_t rows, size_t columns, ...)
{
    va_list list;
    va_start(list, columns);
    while (arrays-- > 0) *va_arg(list, double **) = (double *)locusi_take_cells(w, rows, columns, sizeof(double));
    va_end(list);
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

// What a call within this one may use: the rest of the memory, or the heap. Its status goes through locusi_work_within,
// so that err->bytes is what both take.
LOCUSI_FN locus_run locusi_work_rest(const locusi_work *w, const locus_run *run)
{
    const size_t used = w->used < w->bytes ? w->used : w->bytes;
    locus_run rest;
    memset(&rest, 0, sizeof rest);
    if (run) rest = *run;
    rest.memory = w->base ? w->base + used : NULL;
    rest.memory_bytes = w->bytes - used;
    return rest;
}

LOCUSI_FN locus_status locusi_work_within(const locusi_work *w, locus_status status, locus_error *err)
{
    size_t bytes;
    if (status != LOCUS_ERR_MEMORY || !w->base || !err) return status;
    bytes = err->bytes + w->used / LOCUSI_ALIGN * LOCUSI_ALIGN + LOCUSI_ALIGN; // wherever the next memory begins
    locusi_fail(err, status, "memory", "%z bytes", "%z", bytes, w->bytes);
    err->bytes = bytes;
    return status;
}

// ---- sorting

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

// Element `at` moves down to its place in a heap of `count`, of which the last in order stands on top.
LOCUSI_FN void locusi_sift(void *array, size_t count, size_t size, size_t at, int (*order)(const void *, const void *))
{
    unsigned char *const base = (unsigned char *)array;
    size_t child;
    for (; at < count / 2; at = child) {
        child = 2 * at + 1;
        if (child + 1 < count && order(base + child * size, base + (child + 1) * size) < 0) child++;
        if (order(base + at * size, base + child * size) >= 0) break;
        locusi_swap(base + at * size, base + child * size, size);
    }
}

LOCUSI_FN void locusi_sort(void *array, size_t count, size_t size, int (*order)(const void *, const void *))
{
    unsigned char *const base = (unsigned char *)array;
    size_t i, end;
    for (i = count / 2; i-- > 0;) locusi_sift(base, count, size, i, order);
    for (end = count; end-- > 1;) {
        locusi_swap(base, base + end * size, size);
        locusi_sift(base, end, size, 0, order);
    }
}

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

static LOCUSI_INLINE int locusi_host_is_little(void)
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

static LOCUSI_INLINE uint16_t locusi_le16(const unsigned char *p) { return (uint16_t)(p[0] | p[1] << 8); }
static LOCUSI_INLINE uint32_t locusi_le32(const unsigned char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return locusi_host_is_little() ? v : (uint32_t)locusi_le16(p) | (uint32_t)locusi_le16(p + 2) << 16;
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
    if (!path) return locusi_null(err, "path");
#if LOCUSI_MMAP
    if (locusi_file_map(f, path)) return LOCUS_OK;
#endif
    if (!(in = fopen(path, "rb"))) return locusi_fail(err, LOCUS_ERR_IO, "%s", "a readable file", "", path);
    status = locusi_file_read(f, in, path, err);
    fclose(in);
    return status;
}

#endif

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

LOCUSI_FN uint64_t locusi_text_feed(uint64_t h, uint32_t x) { return (h ^ x) * 0x100000001b3u; }
LOCUSI_FN uint32_t locusi_text_key(uint64_t h) { return (uint32_t)(locusi_mix(h) >> 32); }

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
    size_t digits, symbols, feeds;
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
        w->feeds += c == '\n';
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
    shape[2] = (uint32_t)(w.feeds < 15 ? w.feeds : 15);
    shape[3] = locusi_text_share(w.digits, bytes);
    shape[4] = locusi_text_share(w.symbols, bytes);
    for (i = 0; i < 5; i++) {
        const uint64_t h = locusi_text_feed(locusi_text_feed(locusi_text_basis, 's'), (uint32_t) "LDNRS"[i]);
        sink(user, locusi_text_key(locusi_text_feed(h, shape[i])), LOCUSI_SHAPE);
    }
}

// Number i of a table. In LOCUS_INFERENCE_ONLY it stands in the file: little-endian, at any address.
#ifdef LOCUS_INFERENCE_ONLY
#define LOCUSI_KEY(keys, i) locusi_le32((const unsigned char *)(const void *)(keys) + 4 * (i))
#define LOCUSI_WEIGHT(weights, i) locusi_le16((const unsigned char *)(const void *)(weights) + 2 * (i))
#else
#define LOCUSI_KEY(keys, i) (keys)[i]
#define LOCUSI_WEIGHT(weights, i) (weights)[i]
#endif

// Row of a key, or `rows`.
LOCUSI_FN size_t locusi_text_find(const uint32_t *keys, size_t rows, uint32_t key)
{
    size_t first = 0, n = rows;
    while (n > 1) { // without branches that depend on the key
        const size_t half = n / 2;
        first += LOCUSI_KEY(keys, first + half) <= key ? half : 0;
        n -= half;
    }
    return n && LOCUSI_KEY(keys, first) == key ? first : rows;
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
    int64_t *sum;        // [dim]
    unsigned char *seen; // a bit for each row (table-free: for each of 65536)
} locusi_text_sum;

LOCUSI_FN size_t locusi_text_seen(const locus_text *e)
{
    return (e->rows ? e->rows : (size_t)LOCUS_TEXT_MAX_ROWS) / 8 + 1;
}

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
        for (i = 0; i < e->dim; i++) s->sum[i] += factor * LOCUSI_WEIGHT(e->weights, row) * e->table[row * e->dim + i];
        return 1;
    }
    s->row[s->pending] = e->table + row * e->dim;
    s->weight[s->pending] = LOCUSI_WEIGHT(e->weights, row);
    if (++s->pending == sizeof s->row / sizeof s->row[0]) locusi_text_flush(s);
    return 1;
}

// sum <- the encoding times 2^24.
LOCUSI_FN void locusi_text_unit(int64_t *sum, size_t dim)
{
    uint64_t bits = 0, squares = 0, root;
    size_t i;
    for (i = 0; i < dim; i++) bits |= (uint64_t)(sum[i] < 0 ? -sum[i] : sum[i]); // as long as the largest of them
    if (bits == 0) {
        sum[0] = 1 << 24;
        return;
    }
    for (; bits < (uint64_t)1 << 26; bits *= 2)
        for (i = 0; i < dim; i++) sum[i] *= 2;
    for (; bits >= (uint64_t)1 << 27; bits /= 2)
        for (i = 0; i < dim; i++) sum[i] /= 2;
    for (i = 0; i < dim; i++) squares += (uint64_t)(sum[i] * sum[i]); // at most 2^10 of below 2^54
    root = locusi_text_root(squares);
    for (i = 0; i < dim; i++) {
        const int64_t half = (int64_t)(root / 2);
        sum[i] = (sum[i] * (1 << 24) + (sum[i] < 0 ? -half : half)) / (int64_t)root;
    }
}

LOCUSI_FN void locusi_text_encode(locusi_text_sum *s, const char *text, size_t bytes)
{
    s->hits = s->pending = 0;
    memset(s->sum, 0, s->encoder->dim * sizeof *s->sum);
    memset(s->seen, 0, locusi_text_seen(s->encoder));
    locusi_text_features(text, bytes, locusi_text_sink, s);
    locusi_text_flush(s);
    locusi_text_unit(s->sum, s->encoder->dim);
}

LOCUSI_FN void locusi_text_floats(const locusi_text_sum *s, float *out)
{
    size_t i;
    for (i = 0; i < s->encoder->dim; i++) out[i] = (float)s->sum[i] * 5.9604644775390625e-8f; // 2^-24: exact
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

LOCUSI_FN void locusi_text_take(locusi_text_sum *s, const locus_text *encoder, locusi_work *work)
{
    s->encoder = encoder;
    s->sum = (int64_t *)locusi_take(work, encoder->dim, sizeof(int64_t));
    s->seen = (unsigned char *)locusi_take(work, locusi_text_seen(encoder), 1);
}

LOCUS_API locus_status locus_encode_text(const locus_text *encoder, const char *text, size_t bytes, float *out,
                                         const locus_run *run, locus_error *err)
{
    locusi_work work;
    locusi_text_sum s;
    locus_status status = locusi_text_check(encoder, err);
    if (status) return status;
    if (!text && bytes) return locusi_null(err, "text");
    if (!out) return locusi_null(err, "out");
    locusi_work_begin(&work, run);
    locusi_text_take(&s, encoder, &work);
    if (!(status = locusi_work_short(&work, err))) {
        locusi_text_encode(&s, text, bytes);
        locusi_text_floats(&s, out);
    }
    locusi_work_end(&work);
    return status;
}

// ---------------------------------------------------------------------------------------------------------- >>rules

#ifdef LOCUS_INFERENCE_ONLY
typedef struct locusi_terms { // what the rules ask of a model, and where else it stands
    double cost;
    int available;
    const char *name;
    const unsigned char *z; // as in a file
} locusi_terms;
#else
typedef locus_model locusi_terms;
#endif

// What decides on one query, made once by locusi_rules_make and then set on each query by locusi_rules_at.
typedef struct locusi_rules {
    const locusi_terms *models; // NULL: of no pool: available, of unknown cost
    size_t count;
    const locus_route_opts *o;
    locus_guard guard;
    int costs, refuse;              // 1: some rule needs costs; models of unknown cost are no candidates
    const unsigned char *available; // of this query, or NULL
    const double *cost;             // likewise
    double unpriced;                // what an unknown cost counts as here; negative: no cost is known
} locusi_rules;

LOCUSI_FN void locusi_rules_make(locusi_rules *r, const locusi_terms *models, size_t count, locus_guard guard,
                                 const locus_route_opts *o, int budget)
{
    memset(r, 0, sizeof *r);
    r->models = models;
    r->count = count;
    r->o = o;
    r->guard = guard;
    if (o->guard == LOCUS_GUARD_NONE) r->guard.model = SIZE_MAX;
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
    static const char *const amount = "finite and not negative, or NaN for unknown";
    const locus_route_opts *o = r->o;
    const struct {
        const char *name;
        double value;
    } rule[3] = {{"max_cost", o->max_cost}, {"lambda", o->lambda}, {"margin", o->margin}};
    size_t i, m;
    for (i = 0; i < 3; i++)
        if (!locusi_within(rule[i].value, 0.0, DBL_MAX))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "finite and not negative", "%f", rule[i].name,
                               rule[i].value);
    if ((unsigned)o->unpriced > LOCUS_UNPRICED_REFUSE)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "unpriced", "a locus_unpriced", "%d", (int)o->unpriced);
    if ((unsigned)o->guard > LOCUS_GUARD_GIVEN)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "guard", "a locus_guard_use", "%d", (int)o->guard);
    if (o->guard == LOCUS_GUARD_GIVEN && o->default_model >= r->count)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "default_model", "below %z", "%z", r->count, o->default_model);
    for (m = 0; o->cost && m < r->count; m++)
        if (!locusi_amount(o->cost[m]))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "cost[%z]", amount, "%f", m, o->cost[m]);
    for (i = 0; o->query_cost && i < queries; i++)
        for (m = 0; m < r->count; m++)
            if (!locusi_amount(o->query_cost[i * r->count + m]))
                return locusi_fail(err, LOCUS_ERR_ARGUMENT, "query_cost[%z, %z]", amount, "%f", i, m,
                                   o->query_cost[i * r->count + m]);
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_no_candidate(const locusi_rules *r, size_t query, locus_error *err)
{
    return locusi_fail(err, LOCUS_ERR_NO_CANDIDATE, "query %z",
                       r->refuse ? "an available model of known cost within the limit"
                                 : "an available model within the cost limit",
                       "none of %z", query, r->count);
}

LOCUSI_FN locus_choice locusi_choice(const locusi_rules *r, const float *logits, size_t model)
{
    const double p = locus_probability((double)logits[model]);
    locus_choice c;
    memset(&c, 0, sizeof c);
    c.model = model;
    c.logit = logits[model];
    c.probability = (float)p;
    c.cost = locusi_cost(r, model);
    c.utility = r->o->lambda > 0.0 ? p - r->o->lambda * locusi_counted_cost(r, model) : p;
    c.rule = LOCUS_RULE_BEST;
    return c;
}

// Best first: by utility, then logit, then lower index.
LOCUSI_FN int locusi_choice_order(const void *a, const void *b)
{
    const locus_choice *x = (const locus_choice *)a, *y = (const locus_choice *)b;
    if (x->utility != y->utility) return x->utility > y->utility ? -1 : 1;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->model < y->model ? -1 : x->model > y->model;
}

// The logit that it takes, at no cost, to be better than this choice; a little less where a sigmoid is between.
LOCUSI_FN float locusi_logit_needed(const locusi_rules *r, const locus_choice *c)
{
    const double p = c->utility - 1e-11;
    double x = 30.0; // 1 / (1 + e^-30) is 1 to within 1e-11
    if (r->o->lambda <= 0.0) return c->logit;
    if (p <= 0.0) return locusi_f32_from(0xff800000u);
    if (p < 1.0) x = log(p / (1.0 - p));
    return (float)(x - 1e-3 * (1.0 + fabs(x)));
}

// The ranked choices of one query; 0 if there is no candidate.
LOCUSI_FN int locusi_rank_one(const locusi_rules *r, const float *logits, size_t top, locus_choice *out)
{
    float needed = locusi_f32_from(0xff800000u); // -infinity; most models are passed over without a sigmoid
    size_t found = 0, m, i;
    locus_choice c;
    for (m = 0; m < r->count; m++) {
        if (logits[m] < needed || !locusi_candidate(r, m)) continue;
        c = locusi_choice(r, logits, m);
        if (found < top) {
            out[found++] = c;
            if (found < top) continue;
            for (i = top / 2; i-- > 0;) locusi_sift(out, top, sizeof *out, i, locusi_choice_order);
        } else if (locusi_choice_order(&c, &out[0]) < 0) {
            out[0] = c;
            locusi_sift(out, top, sizeof *out, 0, locusi_choice_order);
        } else continue;
        needed = locusi_logit_needed(r, &out[0]);
    }
    locusi_sort(out, found, sizeof *out, locusi_choice_order);
    for (i = found; i < top; i++) {
        memset(&out[i], 0, sizeof out[i]);
        out[i].model = SIZE_MAX;
    }
    if (!found || r->guard.model == SIZE_MAX) return found > 0;
    if (!locusi_candidate(r, r->guard.model)) {
        out[0].rule = LOCUS_RULE_DEFAULT_EXCLUDED;
        return 1;
    }
    c = locusi_choice(r, logits, r->guard.model);
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
LOCUSI_FN locus_status locusi_rank_rows(locusi_rules *r, const float *logits, size_t first, size_t count,
                                        locus_choice *out, locus_error *err)
{
    const size_t top = r->o->top ? r->o->top : 1;
    size_t i;
    for (i = first; i < first + count; i++, logits += r->count) {
        locusi_rules_at(r, i);
        if (!locusi_rank_one(r, logits, top, out + i * top)) return locusi_no_candidate(r, i, err);
    }
    return LOCUS_OK;
}

LOCUS_API double locus_probability(double logit)
{
    if (logit >= 0.0) return 1.0 / (1.0 + exp(-logit));
    logit = exp(logit);
    return logit / (1.0 + logit);
}

// A regression may leave [0, 1], and is never that sure.
LOCUSI_FN float locusi_chance_logit(float chance)
{
    chance = chance > 0.005f ? chance < 0.995f ? chance : 0.995f : 0.005f;
    return logf(chance / (1.0f - chance));
}

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

// 0 if the text is anything but 16 hexadecimal digits.
LOCUSI_FN int locusi_parse_hash(const char *text, size_t length, uint64_t *hash)
{
    size_t i;
    *hash = 0;
    for (i = 0; i < length; i++) {
        const char c = text[i];
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) return 0;
        *hash = *hash << 4 | (uint64_t)digit;
    }
    return length == 16;
}

// ---- what a tensor must be

typedef struct locusi_shape { // a row of a list of tensors
    const char *name, *dtype; // dtype NULL: F32, F16 or BF16
    const char *shape;        // one letter a dimension, the place of its size in a locusi_sizes; behind ?: optional
} locusi_shape;

typedef size_t locusi_sizes[128]; // by letter; the plus makes a number of it in C++, too // by letter; +: a number also
                                  // in C++, where a letter is a char

typedef struct locusi_spec {
    char name[64];
    const char *dtype;
    size_t rank, shape[3];
} locusi_spec;

LOCUSI_FN void locusi_spec_set(locusi_spec *spec, const char *prefix, const locusi_shape *from, const size_t *sizes)
{
    const char *shape = from->shape + (from->shape[0] == '?');
    locusi_text(spec->name, sizeof spec->name, "%s%s", prefix, from->name);
    spec->dtype = from->dtype;
    for (spec->rank = 0; *shape; shape++) spec->shape[spec->rank++] = sizes[(unsigned char)*shape];
}

// ---- the encoder's tensors, in one fixed order

enum { LOCUSI_MAB_TENSORS = 12, LOCUSI_LAYER_TENSORS = 1 + 2 * LOCUSI_MAB_TENSORS };

LOCUSI_FN size_t locusi_encoder_size(size_t layers, int sab)
{
    return layers ? layers * (sab ? LOCUSI_MAB_TENSORS : LOCUSI_LAYER_TENSORS) + LOCUSI_MAB_TENSORS + 5 : 0;
}

LOCUSI_FN void locusi_encoder_sizes(size_t *sizes, size_t q, size_t d, size_t r)
{
    sizes[+'1'] = 1, sizes[+'d'] = d, sizes[+'f'] = 2 * d, sizes[+'r'] = r;
    sizes[+'t'] = 2 * q + 1; // of a token: encoding, score, their product
}

LOCUSI_FN void locusi_encoder_spec(const size_t *sizes, size_t layers, int sab, size_t i, locusi_spec *spec)
{
    static const locusi_shape mab[LOCUSI_MAB_TENSORS] = {
        {"W_q.weight", NULL, "dd"},    {"W_k.weight", NULL, "dd"},       {"W_v.weight", NULL, "dd"},
        {"fc_o.weight", NULL, "dd"},   {"ln0.weight", NULL, "d"},        {"ln0.bias", NULL, "d"},
        {"ln1.weight", NULL, "d"},     {"ln1.bias", NULL, "d"},          {"rff.net.0.weight", NULL, "fd"},
        {"rff.net.0.bias", NULL, "f"}, {"rff.net.2.weight", NULL, "df"}, {"rff.net.2.bias", NULL, "d"}};
    static const locusi_shape others[6] = {
        {"input.0.weight", NULL, "dt"}, {"input.0.bias", NULL, "d"},  {"I", NULL, "1rd"},
        {"pma.S", NULL, "11d"},         {"out.0.weight", NULL, "dd"}, {"out.0.bias", NULL, "d"}};
    const size_t each = sab ? LOCUSI_MAB_TENSORS : LOCUSI_LAYER_TENSORS, end = 2 + layers * each;
    char prefix[48] = "encoder.";
    const locusi_shape *shape;
    if (i < 2) {
        shape = &others[i];
    } else if (i < end) {
        const size_t layer = (i - 2) / each;
        i = (i - 2) % each;
        shape = sab ? &mab[i] : i ? &mab[(i - 1) % LOCUSI_MAB_TENSORS] : &others[2];
        if (sab) locusi_text(prefix, sizeof prefix, "encoder.layers.%z.mab.", layer);
        else if (i == 0) locusi_text(prefix, sizeof prefix, "encoder.layers.%z.", layer);
        else locusi_text(prefix, sizeof prefix, "encoder.layers.%z.mab%z.", layer, (i - 1) / LOCUSI_MAB_TENSORS + 1);
    } else if (i == end || i > end + LOCUSI_MAB_TENSORS) {
        shape = &others[i == end ? 3 : i - end - LOCUSI_MAB_TENSORS + 3];
    } else {
        shape = &mab[i - end - 1];
        locusi_text(prefix, sizeof prefix, "encoder.pma.mab.");
    }
    locusi_spec_set(spec, prefix, shape, sizes);
}

#ifdef LOCUS_INFERENCE_ONLY
// ------------------------------------------------------------------------------------------------------- >>compact
//
// What LOCUS_INFERENCE_ONLY compiles in place of all else, made for a device whose router file lies in flash: nothing
// is copied or packed. Numbers are read where they stand, at any alignment and on machines of any byte order.
//
// The file must be as locus_pool_save writes it (and as the safetensors library of Python does): tensors listed in the
// order of their data, each with dtype, shape, data_offsets and no white space; numbers as F32. What is no such file is
// refused. The header is walked over in place, once for the router and once for each tensor of the encoder when a model
// is embedded.
//
// A *place* is for a tensor that routing needs; others are passed over. Shapes are written in *sizes*, each of which
// the file's first tensor that has it sets and all others must share.

enum { LOCUSI_NONE, LOCUSI_ONE, LOCUSI_TWO, LOCUSI_Q, LOCUSI_D, LOCUSI_HIDDEN, LOCUSI_MODELS, LOCUSI_NAME_BYTES };
enum { LOCUSI_RANK = LOCUSI_NAME_BYTES + 1, LOCUSI_LANDMARKS, LOCUSI_SCALARS, LOCUSI_ROWS };
enum { LOCUSI_MODELS_AND_1 = LOCUSI_ROWS + 1, LOCUSI_THREE_D, LOCUSI_SIZES };
enum { LOCUSI_NAME_MOST = 192 }; // bytes of a model's name, its zero included

#define LOCUSI_PLACE_LIST(X)                                                                                           \
    X(LAST_2, "decoder.mlp_head.2.weight", "F32", 4, LOCUSI_ONE, LOCUSI_HIDDEN)                                        \
    X(LAST_2_BIAS, "decoder.mlp_head.2.bias", "F32", 4, LOCUSI_ONE, LOCUSI_NONE)                                       \
    X(U, "decoder.U.weight", "F32", 4, LOCUSI_D, LOCUSI_Q)                                                             \
    X(U_BIAS, "decoder.U.bias", "F32", 4, LOCUSI_D, LOCUSI_NONE)                                                       \
    X(HEAD, "decoder.mlp_head.0.weight", "F32", 4, LOCUSI_HIDDEN, LOCUSI_THREE_D)                                      \
    X(HEAD_BIAS, "decoder.mlp_head.0.bias", "F32", 4, LOCUSI_HIDDEN, LOCUSI_NONE)                                      \
    X(LAST, "decoder.mlp_head.3.weight", "F32", 4, LOCUSI_ONE, LOCUSI_HIDDEN)                                          \
    X(LAST_BIAS, "decoder.mlp_head.3.bias", "F32", 4, LOCUSI_ONE, LOCUSI_NONE)                                         \
    X(EMBEDDINGS, "pool.embeddings", "F32", 4, LOCUSI_MODELS, LOCUSI_D)                                                \
    X(NAMES, "pool.names", "U8", 1, LOCUSI_NAME_BYTES, LOCUSI_NONE)                                                    \
    X(COST, "pool.cost", "F64", 8, LOCUSI_MODELS, LOCUSI_NONE)                                                         \
    X(AVAILABLE, "pool.available", "U8", 1, LOCUSI_MODELS, LOCUSI_NONE)                                                \
    X(CALIBRATION, "pool.calibration", "F32", 4, LOCUSI_MODELS_AND_1, LOCUSI_TWO)                                      \
    X(GUARD, "pool.guard", "F64", 8, LOCUSI_TWO, LOCUSI_NONE)                                                          \
    X(MAP, "memory.map", "F32", 4, LOCUSI_RANK, LOCUSI_Q)                                                              \
    X(MAP_BIAS, "memory.map_bias", "F32", 4, LOCUSI_RANK, LOCUSI_NONE)                                                 \
    X(POINTS, "memory.landmarks", "F32", 4, LOCUSI_LANDMARKS, LOCUSI_RANK)                                             \
    X(RECALL, "memory.rows", "F32", 4, LOCUSI_MODELS, LOCUSI_LANDMARKS)                                                \
    X(BASE, "memory.base", "F32", 4, LOCUSI_MODELS, LOCUSI_NONE)                                                       \
    X(RECALLED, "memory.recalled", "U8", 1, LOCUSI_MODELS, LOCUSI_NONE)                                                \
    X(SCALARS, "memory.scalars", "F32", 4, LOCUSI_SCALARS, LOCUSI_NONE)                                                \
    X(KEYS, "text.keys", "U32", 4, LOCUSI_ROWS, LOCUSI_NONE)                                                           \
    X(WEIGHTS, "text.weights", "U16", 2, LOCUSI_ROWS, LOCUSI_NONE)                                                     \
    X(TABLE, "text.table", "I8", 1, LOCUSI_ROWS, LOCUSI_Q)

#define LOCUSI_PLACE_OF(place, name, type, bytes, rows, across) LOCUSI_AT_##place,
#define LOCUSI_FORM_OF(place, name, type, bytes, rows, across) {name, type, {rows, across}, bytes},
enum { LOCUSI_PLACE_LIST(LOCUSI_PLACE_OF) LOCUSI_PLACES };
typedef struct locusi_form {
    char name[26], type[4];
    unsigned char shape[2], width;
} locusi_form;
static const locusi_form locusi_forms[LOCUSI_PLACES] = {LOCUSI_PLACE_LIST(LOCUSI_FORM_OF)};

typedef struct locusi_header { // on the way over it
    locusi_cursor c;
    const unsigned char *data;
    size_t used, bytes; // of the data: that the tensors so far have, and in all
    size_t metadata;    // where its first entry stands; 0: there is none
    size_t members;     // seen so far
} locusi_header;

typedef struct locusi_tensor {
    const char *name; // not terminated
    size_t name_bytes, rank, shape[3], count, bytes;
    char type[8];
    const unsigned char *data;
} locusi_tensor;

struct locus_net {
    locusi_header header; // as it begins; its metadata is known
    const unsigned char *at[LOCUSI_PLACES];
    size_t size[LOCUSI_SIZES]; // SIZE_MAX: no tensor has it
    size_t cost_bytes;         // 8, or 4 as before version 0.3
    locus_text text;
};

struct locus_pool {
    locus_net net;
    size_t count;
    locusi_terms *models;
    locus_guard guard;
    locus_file file;
    locusi_work own; // all that is kept
};

// ---- numbers where they stand

static LOCUSI_INLINE float locusi_f32_at(const unsigned char *p, size_t i)
{
    return locusi_f32_from(locusi_le32(p + 4 * i));
}
static LOCUSI_INLINE double locusi_f64_at(const unsigned char *p, size_t i)
{
    return locusi_f64_from(locusi_le64(p + 8 * i));
}

// The sum of w[i] * x[i], in four parts: less is rounded away.
LOCUSI_FN float locusi_dot(const unsigned char *w, const float *x, size_t n)
{
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    size_t i;
    for (i = 0; i < n; i++) sum[i % 4] += locusi_f32_at(w, i) * x[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// out [rows] <- w [rows, n] x + bias (NULL: 0)
LOCUSI_FN void locusi_affine(const unsigned char *w, const unsigned char *bias, size_t rows, const float *x, size_t n,
                             float *out)
{
    size_t i;
    for (i = 0; i < rows; i++) out[i] = locusi_dot(w + 4 * n * i, x, n) + (bias ? locusi_f32_at(bias, i) : 0.0f);
}

// ---- the header

// A string as it stands, escapes and all; returns its bytes.
LOCUSI_FN size_t locusi_string(locusi_cursor *c, const char **s)
{
    size_t first, n;
    locusi_expect(c, "\"", "a string");
    for (first = c->at; locusi_here(c) >= 32 && locusi_here(c) != '"'; c->at++)
        if (locusi_here(c) == '\\' && c->length - c->at > 1) c->at++;
    *s = (const char *)c->text + first;
    n = c->at - first;
    if (locusi_here(c) == '"') c->at++;
    else locusi_expected(c, "the end of the string");
    return n;
}

LOCUSI_FN int locusi_is(const char *s, size_t bytes, const char *text)
{
    return bytes == strlen(text) && !memcmp(s, text, bytes);
}

// What a tensor's entry says; its data must begin where that of the one before ends.
LOCUSI_FN void locusi_read_entry(locusi_header *h, locusi_tensor *t)
{
    locusi_cursor *const c = &h->c;
    const char *type;
    size_t n;
    memset(t, 0, sizeof *t);
    locusi_expect(c, "{\"dtype\":", "a tensor's dtype");
    n = locusi_string(c, &type);
    memcpy(t->type, type, n < sizeof t->type ? n : 0);
    locusi_expect(c, ",\"shape\":[", "its shape");
    for (t->count = 1; locusi_more(c, "]", &t->rank);) {
        n = locusi_read_size(c, "a size");
        if (t->rank <= 3) t->shape[t->rank - 1] = n;
        if (!locusi_mul(t->count, n, &t->count)) locusi_expected(c, "a shape that fits the address space");
    }
    locusi_expect(c, ",\"data_offsets\":[", "its data_offsets");
    if (locusi_read_size(c, "an offset") != h->used) locusi_expected(c, "data in the order of the header");
    locusi_expect(c, ",", "','");
    n = locusi_read_size(c, "an offset");
    if (n < h->used || n > h->bytes) locusi_expected(c, "an offset within the file");
    locusi_expect(c, "]}", "its end");
    if (c->status) return;
    t->data = h->data + h->used;
    t->bytes = n - h->used;
    h->used = n;
}

// The next tensor; 0 at the end, and where the header is bad.
LOCUSI_FN int locusi_next_tensor(locusi_header *h, locusi_tensor *t)
{
    const char *name, *s;
    size_t n;
    while (locusi_more(&h->c, "}", &h->members)) {
        n = locusi_string(&h->c, &name);
        locusi_expect(&h->c, ":", "':'");
        if (!locusi_is(name, n, "__metadata__")) {
            locusi_read_entry(h, t);
            t->name = name;
            t->name_bytes = n;
            return !h->c.status;
        }
        locusi_expect(&h->c, "{", "'{'");
        if (h->metadata) locusi_expected(&h->c, "metadata once");
        h->metadata = h->c.at;
        for (n = 0; locusi_more(&h->c, "}", &n);) {
            locusi_string(&h->c, &s);
            locusi_expect(&h->c, ":", "':'");
            locusi_string(&h->c, &s);
        }
    }
    return 0;
}

// value <- the text of the metadata's entry of that name; none where there is no such entry.
LOCUSI_FN size_t locusi_meta(const locus_net *net, const char *key, locusi_cursor *value)
{
    locusi_cursor c = net->header.c;
    const char *name, *s;
    size_t n, bytes, members = 0;
    memset(value, 0, sizeof *value);
    c.at = net->header.metadata;
    while (c.at && locusi_more(&c, "}", &members)) {
        n = locusi_string(&c, &name);
        locusi_expect(&c, ":", "':'");
        bytes = locusi_string(&c, &s);
        if (!locusi_is(name, n, key)) continue;
        value->text = (const unsigned char *)s;
        value->length = bytes;
        return bytes;
    }
    return 0;
}

LOCUSI_FN int locusi_meta_is(const locus_net *net, const char *key, const char *text)
{
    locusi_cursor value;
    const size_t n = locusi_meta(net, key, &value);
    return locusi_is((const char *)value.text, n, text);
}

// ---- loading

// Put one tensor in its place.
LOCUSI_FN locus_status locusi_settle(locus_net *net, const locusi_tensor *t, locus_error *err)
{
    const locusi_form *form = locusi_forms;
    size_t place = 0, width, i;
    int fits;
    while (place < LOCUSI_PLACES && !locusi_is(t->name, t->name_bytes, form->name)) place++, form++;
    if (place == LOCUSI_PLACES) return LOCUS_OK;
    fits = t->rank == (form->shape[1] ? 2u : 1u);
    if (net->at[place]) return locusi_fail(err, LOCUS_ERR_FORMAT, "%s", "one tensor", "two", form->name);
    width = form->width;
    if (place == LOCUSI_AT_COST && !strcmp(t->type, "F32")) net->cost_bytes = width = 4; // before version 0.3
    else if (strcmp(t->type, form->type))
        return locusi_fail(err, LOCUS_ERR_UNSUPPORTED, "%s", "%s", "%s", form->name, form->type, t->type);
    for (i = 0; fits && i < t->rank; i++) {
        size_t *const size = &net->size[form->shape[i]];
        if (*size == SIZE_MAX) *size = t->shape[i];
        fits = *size == t->shape[i];
    }
    if (!fits)
        return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "a shape that agrees with the other tensors'", "another",
                           form->name);
    if (t->bytes / width != t->count || t->bytes % width)
        return locusi_fail(err, LOCUS_ERR_FORMAT, "%s", "%z numbers", "%z bytes", form->name, t->count, t->bytes);
    for (i = 0; form->type[1] == '3' && form->type[0] == 'F' && i < t->count; i++)
        if ((locusi_le32(t->data + 4 * i) & 0x7fffffffu) >= 0x53800000u)
            return locusi_fail(err, place < LOCUSI_AT_EMBEDDINGS ? LOCUS_ERR_NONFINITE_WEIGHT : LOCUS_ERR_POOL,
                               "%s[%z]", "a magnitude below 2^40", "%f", form->name, i,
                               (double)locusi_f32_at(t->data, i));
    net->at[place] = t->data;
    return LOCUS_OK;
}

// All places from `first` to `last` have a tensor.
LOCUSI_FN locus_status locusi_need(const locus_net *net, size_t first, size_t last, locus_error *err)
{
    for (; first <= last; first++)
        if (!net->at[first])
            return locusi_fail(err, first == LOCUSI_AT_EMBEDDINGS ? LOCUS_ERR_NO_POOL : LOCUS_ERR_TENSOR, "%s",
                               "this tensor", "none", locusi_forms[first].name);
    return LOCUS_OK;
}

// The hash goes on over a tensor's weights, as >>net says.
LOCUSI_FN uint64_t locusi_hash_on(uint64_t hash, const unsigned char *p, size_t n)
{
    uint64_t lanes[4] = {1, 2, 3, 4};
    size_t i;
    for (i = 0; i < n || i % 8; i++) {
        uint64_t *const lane = &lanes[i / 2 % 4];
        *lane ^= (uint64_t)(i < n ? locusi_le32(p + 4 * i) : 0) << 32 * (i % 2);
        if (i % 2) *lane = (*lane << 29 | *lane >> 35) * 0x9e3779b97f4a7c15u;
    }
    hash = locusi_mix(hash ^ n);
    for (i = 0; i < 4; i++) hash = locusi_mix(hash ^ lanes[i]);
    return hash;
}

LOCUSI_FN locus_status locusi_meta_hash(const locus_net *net, const char *key, uint64_t *hash, locus_error *err)
{
    locusi_cursor value;
    const size_t length = locusi_meta(net, key, &value);
    if (locusi_parse_hash((const char *)value.text, length, hash)) return LOCUS_OK;
    return locusi_fail(err, LOCUS_ERR_METADATA, "%s", "16 hex digits", "another entry", key);
}

// Are these the weights that the pool was made with?
LOCUSI_FN locus_status locusi_check_hash(const locus_net *net, locus_error *err)
{
    const size_t d = net->size[LOCUSI_D], hidden = net->size[LOCUSI_HIDDEN];
    const size_t counts[6] = {d * net->size[LOCUSI_Q], d, 3 * d * hidden, hidden, hidden, 1};
    uint64_t encoder, hash, decoder = 2;
    locus_status status;
    size_t i;
    if ((status = locusi_meta_hash(net, "locus.encoder_hash", &encoder, err)) ||
        (status = locusi_meta_hash(net, "locus.net_hash", &hash, err)))
        return status;
    for (i = 0; i < 6; i++) decoder = locusi_hash_on(decoder, net->at[LOCUSI_AT_U + i], counts[i]);
    decoder = locusi_mix(encoder ^ locusi_mix(decoder));
    if (decoder != hash) return locusi_fail(err, LOCUS_ERR_HASH, "locus.net_hash", "%x", "%x", decoder, hash);
    return LOCUS_OK;
}

// The models' terms; the names end where their tensor does.
LOCUSI_FN locus_status locusi_read_models(const locus_net *net, locusi_terms *models, locus_error *err)
{
    const size_t count = net->size[LOCUSI_MODELS];
    const unsigned char *const cost = net->at[LOCUSI_AT_COST];
    const char *name = (const char *)net->at[LOCUSI_AT_NAMES];
    size_t left = net->size[LOCUSI_NAME_BYTES], i, n;
    for (i = 0; i < count; i++, name += n + 1, left -= n + 1) {
        for (n = 0; n < left && name[n]; n++) {}
        if (n == 0 || n == left) return locusi_fail(err, LOCUS_ERR_NAME, "pool.names", "%z names", "%z", count, i);
        models[i].name = name;
        models[i].z = net->at[LOCUSI_AT_EMBEDDINGS] + 4 * net->size[LOCUSI_D] * i;
        models[i].available = net->at[LOCUSI_AT_AVAILABLE][i] != 0;
        models[i].cost = net->cost_bytes == 4 ? (double)locusi_f32_at(cost, i) : locusi_f64_at(cost, i);
        if (!locusi_amount(models[i].cost))
            return locusi_fail(err, LOCUS_ERR_POOL, "pool.cost[%z]", "finite and not negative, or NaN for unknown",
                               "%f", i, models[i].cost);
    }
    return left ? locusi_fail(err, LOCUS_ERR_NAME, "pool.names", "%z names", "more", count) : LOCUS_OK;
}

// The guard's default is one of the models.
LOCUSI_FN locus_status locusi_read_guard(const locus_net *net, locus_guard *guard, locus_error *err)
{
    const size_t models = net->size[LOCUSI_MODELS];
    const unsigned char *const given = net->at[LOCUSI_AT_GUARD];
    const double model = given ? locusi_f64_at(given, 0) : 0.0;
    guard->model = SIZE_MAX;
    guard->margin = given ? locusi_f64_at(given, 1) : 0.0;
    if (!given) return LOCUS_OK;
    if (!locusi_within(model, 0.0, (double)models - 1.0) || !locusi_within(guard->margin, 0.0, 1.0))
        return locusi_fail(err, LOCUS_ERR_POOL, "pool.guard", "one of %z models and a margin of 0 to 1", "%f and %f",
                           models, model, guard->margin);
    guard->model = (size_t)model;
    return LOCUS_OK;
}

// The text encoder, if that is what encodes queries.
LOCUSI_FN locus_status locusi_find_text(locus_net *net, locus_error *err)
{
    locusi_cursor name;
    if (locusi_meta(net, "query_encoder", &name) < 13 || memcmp(name.text, "locus-text-1/", 13)) {
        if (!net->at[LOCUSI_AT_KEYS]) return LOCUS_OK;
        return locusi_fail(err, LOCUS_ERR_METADATA, "query_encoder",
                           "\"locus-text-1/...\", as there are text.* tensors", "another");
    }
    net->text.dim = net->size[LOCUSI_Q];
    if (net->text.dim > LOCUS_TEXT_MAX_DIM)
        return locusi_fail(err, LOCUS_ERR_METADATA, "q_dim", "at most %z with a text encoder", "%z",
                           (size_t)LOCUS_TEXT_MAX_DIM, net->text.dim);
    if (!net->at[LOCUSI_AT_KEYS]) return LOCUS_OK; // table-free
    net->text.rows = net->size[LOCUSI_ROWS];
    net->text.keys = (const uint32_t *)(const void *)net->at[LOCUSI_AT_KEYS];
    net->text.weights = (const uint16_t *)(const void *)net->at[LOCUSI_AT_WEIGHTS];
    net->text.table = (const signed char *)net->at[LOCUSI_AT_TABLE];
    if (net->text.rows == 0 || net->text.rows > LOCUS_TEXT_MAX_ROWS)
        return locusi_fail(err, LOCUS_ERR_TENSOR, "text.keys", "[1] to [%z]", "[%z]", (size_t)LOCUS_TEXT_MAX_ROWS,
                           net->text.rows);
    return LOCUS_OK;
}

// net <- what is where in a file; all that can be wrong with it is told here.
LOCUSI_FN locus_status locusi_read_file(locus_net *net, const unsigned char *data, size_t bytes, locus_guard *guard,
                                        locus_error *err)
{
    locusi_header *const h = &net->header;
    locusi_tensor t;
    locus_status status;
    size_t first, i;
    memset(net, 0, sizeof *net);
    if (bytes < 8 || locusi_le64(data) > bytes - 8)
        return locusi_fail(err, LOCUS_ERR_FORMAT, "file", "a safetensors file", "%z bytes", bytes);
    h->c.text = data + 8;
    h->c.length = (size_t)locusi_le64(data);
    h->c.what = "header";
    h->c.err = err;
    h->data = data + 8 + h->c.length;
    h->bytes = bytes - 8 - h->c.length;
    net->cost_bytes = 8;
    for (i = 0; i < LOCUSI_SIZES; i++) net->size[i] = SIZE_MAX;
    net->size[LOCUSI_ONE] = 1;
    net->size[LOCUSI_TWO] = 2;
    locusi_expect(&h->c, "{", "an object");
    first = h->c.at;
    while (locusi_next_tensor(h, &t))
        if ((status = locusi_settle(net, &t, err))) return status;
    if (locusi_peek(&h->c)) locusi_expected(&h->c, "the end");
    if (h->used != h->bytes) locusi_expected(&h->c, "tensors to the end of the file");
    if (h->c.status) return h->c.status;
    h->c.at = first;
    h->c.err = NULL;
    h->used = h->members = 0;
    if (!net->at[LOCUSI_AT_LAST]) { // trained without dropout
        net->at[LOCUSI_AT_LAST] = net->at[LOCUSI_AT_LAST_2];
        net->at[LOCUSI_AT_LAST_BIAS] = net->at[LOCUSI_AT_LAST_2_BIAS];
    }
    if ((status = locusi_need(net, LOCUSI_AT_U, LOCUSI_AT_AVAILABLE, err))) return status;
    for (i = LOCUSI_AT_MAP; i < LOCUSI_PLACES; i++) { // the recall's and the text encoder's: all of each or none
        const int recall = i <= LOCUSI_AT_SCALARS;
        if (net->at[i] && (status = locusi_need(net, recall ? LOCUSI_AT_MAP : LOCUSI_AT_KEYS,
                                                recall ? LOCUSI_AT_SCALARS : LOCUSI_AT_TABLE, err)))
            return status;
    }
    if (net->at[LOCUSI_AT_SCALARS] && net->size[LOCUSI_SCALARS] != 2 && net->size[LOCUSI_SCALARS] != 6)
        return locusi_fail(err, LOCUS_ERR_TENSOR, "memory.scalars", "[2] or [6]", "[%z]", net->size[LOCUSI_SCALARS]);
    if (!net->size[LOCUSI_Q] || !net->size[LOCUSI_D] || !net->size[LOCUSI_HIDDEN])
        return locusi_fail(err, LOCUS_ERR_TENSOR, "decoder.U.weight", "no empty dimension", "one");
    if (net->size[LOCUSI_THREE_D] % 3 || net->size[LOCUSI_THREE_D] / 3 != net->size[LOCUSI_D] ||
        (net->at[LOCUSI_AT_CALIBRATION] && net->size[LOCUSI_MODELS_AND_1] != net->size[LOCUSI_MODELS] + 1))
        return locusi_fail(err, LOCUS_ERR_TENSOR, "mlp_head.0, pool.calibration", "the predictor's and pool's shape",
                           "another");
    if (!locusi_meta_is(net, "locus.format", "1"))
        return locusi_fail(err, LOCUS_ERR_METADATA, "locus.format", "\"1\"", "another entry");
    if ((status = locusi_check_hash(net, err)) || (status = locusi_read_guard(net, guard, err))) return status;
    return locusi_find_text(net, err);
}

LOCUS_API locus_status locus_router_load(locus_router *out, const void *data, size_t bytes, const locus_run *run,
                                         locus_error *err)
{
    locus_net net;
    locus_guard guard;
    locus_pool *pool;
    locusi_work own;
    locusi_terms *models;
    locus_status status;
    if (!out || !data) return locusi_null(err, out ? "data" : "out");
    memset(out, 0, sizeof *out);
    if ((status = locusi_read_file(&net, (const unsigned char *)data, bytes, &guard, err))) return status;
    locusi_work_begin(&own, run);
    pool = (locus_pool *)locusi_take_zero(&own, 1, sizeof(locus_pool));
    models = (locusi_terms *)locusi_take(&own, net.size[LOCUSI_MODELS], sizeof(locusi_terms));
    if (!(status = locusi_work_short(&own, err))) status = locusi_read_models(&net, models, err);
    if (status) {
        locusi_work_end(&own);
        return status;
    }
    pool->net = net;
    pool->count = net.size[LOCUSI_MODELS];
    pool->models = models;
    pool->guard = guard;
    pool->own = own;
    out->net = &pool->net;
    out->pool = pool;
    out->text = net.text.dim ? &pool->net.text : NULL;
    out->q_dim = net.size[LOCUSI_Q];
    out->z_dim = net.size[LOCUSI_D];
    return LOCUS_OK;
}

LOCUS_API void locus_router_close(locus_router *router)
{
    locusi_work own;
    if (!router || !router->pool) return;
    own = router->pool->own;
    locusi_file_close(&router->pool->file);
    memset(router, 0, sizeof *router);
    locusi_work_end(&own);
}

// ---- models

LOCUS_API locus_status locus_router_add(locus_router *router, const char *name, const float *z, size_t *index,
                                        const locus_run *run, locus_error *err)
{
    const size_t count = locus_router_count(router), n = name ? strlen(name) : 0;
    locusi_work more;
    locusi_terms *models;
    unsigned char *put;
    char *copy;
    locus_status status;
    size_t i;
    if (!router || !router->pool || !name || !z) return locusi_null(err, "router, name, z");
    if (!n || !locusi_valid_name(name, LOCUSI_NAME_MOST) || locus_router_find(router, name) != SIZE_MAX)
        return locusi_fail(err, LOCUS_ERR_NAME, "name", "1 to %z bytes of UTF-8 that no model has", "\"%s\"",
                           (size_t)LOCUSI_NAME_MOST - 1, name);
    for (i = 0; i < router->z_dim; i++)
        if ((locusi_f32_bits(z[i]) & 0x7fffffffu) >= 0x53800000u)
            return locusi_fail(err, LOCUS_ERR_POOL, "z[%z]", "a finite number", "%f", i, (double)z[i]);
    locusi_work_begin(&more, run);
    models = (locusi_terms *)locusi_take(&more, count + 1, sizeof(locusi_terms));
    put = (unsigned char *)locusi_take(&more, router->z_dim, 4);
    copy = (char *)locusi_take(&more, n + 1, 1);
    if ((status = locusi_work_short(&more, err))) {
        locusi_work_end(&more);
        return status;
    }
    while (more.blocks) { // now the router's
        locusi_block *const block = more.blocks;
        more.blocks = block->next;
        block->next = router->pool->own.blocks;
        router->pool->own.blocks = block;
    }
    memcpy(models, router->pool->models, count * sizeof(locusi_terms));
    models[count].available = 1;
    models[count].cost = (double)locusi_nan();
    locusi_copy_le(put, z, router->z_dim, 4);
    memcpy(copy, name, n + 1);
    models[count].name = copy;
    models[count].z = put;
    router->pool->models = models;
    router->pool->count = count + 1;
    if (index) *index = count;
    return LOCUS_OK;
}

// ---- routing

typedef struct locusi_room { // to route one query in
    float *u, *row;          // [d]
    float *x, *similarity;   // [rank], [landmarks]
    float *logits;           // [models]
} locusi_room;

// logits <- the predictor's: one hidden unit after the other, each at once for all models.
LOCUSI_FN void locusi_predict_net(const locus_pool *pool, const float *q, const locusi_room *w)
{
    const locus_net *const net = &pool->net;
    const size_t d = net->size[LOCUSI_D];
    size_t i, j, m;
    locusi_affine(net->at[LOCUSI_AT_U], net->at[LOCUSI_AT_U_BIAS], d, q, net->size[LOCUSI_Q], w->u);
    for (m = 0; m < pool->count; m++) w->logits[m] = locusi_f32_at(net->at[LOCUSI_AT_LAST_BIAS], 0);
    for (j = 0; j < net->size[LOCUSI_HIDDEN]; j++) {
        const unsigned char *const head = net->at[LOCUSI_AT_HEAD] + 12 * d * j; // of z, u, z * u
        const float last = locusi_f32_at(net->at[LOCUSI_AT_LAST], j);
        const float alike = locusi_dot(head + 4 * d, w->u, d) + locusi_f32_at(net->at[LOCUSI_AT_HEAD_BIAS], j);
        for (i = 0; i < d; i++) w->row[i] = locusi_f32_at(head, i) + locusi_f32_at(head + 8 * d, i) * w->u[i];
        for (m = 0; m < pool->count; m++) {
            const float hidden = locusi_dot(pool->models[m].z, w->row, d) + alike;
            if (hidden > 0.0f) w->logits[m] += last * hidden;
        }
    }
}

// The recall's share, mixed in: see >>recall.
LOCUSI_FN void locusi_predict_recall(const locus_pool *pool, const float *q, const locusi_room *w)
{
    const locus_net *const net = &pool->net;
    const size_t rank = net->size[LOCUSI_RANK], landmarks = net->size[LOCUSI_LANDMARKS];
    const unsigned char *const scalars = net->at[LOCUSI_AT_SCALARS];
    float weight = locusi_f32_at(scalars, 0);
    size_t i, j;
    if (!(weight >= 0.0f && weight <= 1.0f)) weight = 0.5f;
    locusi_affine(net->at[LOCUSI_AT_MAP], net->at[LOCUSI_AT_MAP_BIAS], rank, q, net->size[LOCUSI_Q], w->x);
    for (i = 0; i < landmarks; i++) {
        const unsigned char *const point = net->at[LOCUSI_AT_POINTS] + 4 * rank * i;
        float square = 0.0f, e;
        for (j = 0; j < rank; j++) {
            const float away = locusi_f32_at(point, j) - w->x[j];
            square += away * away;
        }
        e = expf(-square);
        w->similarity[i] = (locusi_dot(point, w->x, rank) + e + e * e * e) * (1.0f / 3.0f);
    }
    for (i = 0; i < net->size[LOCUSI_MODELS]; i++) {
        float told = locusi_dot(net->at[LOCUSI_AT_RECALL] + 4 * landmarks * i, w->similarity, landmarks);
        if (!net->at[LOCUSI_AT_RECALLED][i]) continue;
        told += locusi_f32_at(net->at[LOCUSI_AT_BASE], i);
        if (net->size[LOCUSI_SCALARS] != 2) told = locusi_chance_logit(told); // else a file of version 0.2 or 0.3
        w->logits[i] = (1.0f - weight) * w->logits[i] + weight * told;
    }
}

LOCUSI_FN locus_status locusi_check_encoding(const locus_net *net, const float *q, size_t row, locus_error *err)
{
    float square = 0.0f;
    size_t i;
    for (i = 0; i < net->size[LOCUSI_Q]; i++) square += q[i] * q[i];
    if (locusi_finite(square) && square < 1e24f) return LOCUS_OK;
    return locusi_fail(err, LOCUS_ERR_NONFINITE, "encodings[%z]", "finite numbers of sensible size", "others", row);
}

LOCUSI_FN locus_status locusi_predict_query(const locus_pool *pool, const float *q, size_t row, const locusi_room *w,
                                            locus_error *err)
{
    const locus_net *const net = &pool->net;
    const unsigned char *const calibration = net->at[LOCUSI_AT_CALIBRATION];
    const locus_status status = locusi_check_encoding(net, q, row, err);
    size_t i;
    if (status) return status;
    locusi_predict_net(pool, q, w);
    if (net->at[LOCUSI_AT_SCALARS]) locusi_predict_recall(pool, q, w);
    for (i = 0; i < pool->count; i++) {
        const size_t at = i < net->size[LOCUSI_MODELS] ? i : net->size[LOCUSI_MODELS]; // later models take the pool's
        if (calibration)
            w->logits[i] = (float)((double)locusi_f32_at(calibration, 2 * at) * (double)w->logits[i] +
                                   (double)locusi_f32_at(calibration, 2 * at + 1));
        if (!locusi_finite(w->logits[i]))
            return locusi_fail(err, LOCUS_ERR_NONFINITE, "logits[%z, %z]", "a finite number", "%f", row, i,
                               (double)w->logits[i]);
    }
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_check_rows(const locus_net *net, const locus_queries *q, locus_error *err)
{
    if (q->dim != net->size[LOCUSI_Q])
        return locusi_fail(err, LOCUS_ERR_QUERY_DIM, "queries.dim", "%z", "%z", net->size[LOCUSI_Q], q->dim);
    if ((q->count && !q->encodings) || (q->stride && q->stride < q->dim))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "queries", "rows of encodings", "another");
    return LOCUS_OK;
}

LOCUSI_FN void locusi_room_take(const locus_pool *pool, locusi_room *w, locusi_work *work)
{
    const size_t *const size = pool->net.size;
    const int recall = pool->net.at[LOCUSI_AT_SCALARS] != NULL;
    w->u = (float *)locusi_take(work, size[LOCUSI_D], sizeof(float));
    w->row = (float *)locusi_take(work, size[LOCUSI_D], sizeof(float));
    w->x = (float *)locusi_take(work, recall ? size[LOCUSI_RANK] : 0, sizeof(float));
    w->similarity = (float *)locusi_take(work, recall ? size[LOCUSI_LANDMARKS] : 0, sizeof(float));
    w->logits = (float *)locusi_take(work, pool->count, sizeof(float));
}

LOCUS_API locus_status locus_router_route(const locus_router *router, const locus_queries *queries,
                                          const locus_route_opts *opts, locus_choice *out, const locus_run *run,
                                          locus_error *err)
{
    locus_route_opts zero;
    const locus_route_opts *const o = locusi_route_defaults(opts, &zero);
    const locus_pool *pool;
    locusi_work work;
    locusi_room room;
    locusi_rules rules;
    locus_status status;
    size_t i, stride;
    if (!router || !router->pool || !queries || !out) return locusi_null(err, "router, queries, out");
    pool = router->pool;
    stride = queries->stride ? queries->stride : queries->dim;
    locusi_rules_make(&rules, pool->models, pool->count, pool->guard, o, 0);
    if ((status = locusi_check_rows(&pool->net, queries, err)) ||
        (status = locusi_check_route(&rules, queries->count, err)))
        return status;
    locusi_work_begin(&work, run);
    locusi_room_take(pool, &room, &work);
    status = locusi_work_short(&work, err);
    for (i = 0; i < queries->count && !status; i++) {
        status = locusi_predict_query(pool, queries->encodings + i * stride, i, &room, err);
        if (!status) status = locusi_rank_rows(&rules, room.logits, i, 1, out, err);
    }
    locusi_work_end(&work);
    return status;
}

#ifndef LOCUS_NO_ENCODER
// ---- a model's embedding
//
// The encoder of method.md as it stands there, one evaluation after the other. What a layer passes on are the keys and
// values of its inducing vectors alone, so that each pass begins anew with the tokens. Evaluations are taken in the
// order of their numbers, whatever order they were given in: the same set gives the same bits.

// A block's weights, as locusi_encoder_spec lists them.
enum { LOCUSI_MAB_Q, LOCUSI_MAB_K, LOCUSI_MAB_V, LOCUSI_MAB_OUT, LOCUSI_MAB_GAIN0, LOCUSI_MAB_BIAS0, LOCUSI_MAB_GAIN1 };
enum { LOCUSI_MAB_BIAS1 = 7, LOCUSI_MAB_W1, LOCUSI_MAB_B1, LOCUSI_MAB_W2, LOCUSI_MAB_B2 };
typedef const unsigned char *const *locusi_mab;

typedef struct locusi_evaluation {
    const float *q;
    size_t dim;
    float y;
} locusi_evaluation;

typedef struct locusi_set { // a model's evaluations on their way
    const locus_net *net;
    const locus_evals *evals;
    size_t model, count, d, q_dim, heads, layers, induced;
    const unsigned char **weights; // all of the encoder's
    locusi_evaluation *list;       // [count] the evaluations there are
    float *keys, *values;          // [layers, induced, d]
    float *queries;                // [induced, d] of the pass
    float *largest, *total;        // [induced, heads] of the scores so far, and the sum of exp(score - largest)
    double *sum;                   // [induced, d] of the values so weighted
    float *x, *k, *v, *h, *o;      // [d]
    float *hidden, *scores;        // [2 d], [induced]
} locusi_set;

// A number of the metadata; 0 where there is none.
LOCUSI_FN size_t locusi_meta_number(const locus_net *net, const char *key)
{
    locusi_cursor value;
    size_t v;
    locusi_meta(net, key, &value);
    v = locusi_read_size(&value, "a number");
    return value.status || value.at < value.length ? 0 : v;
}

// The weights of such a tensor; NULL where they are not there, or not as they should be.
LOCUSI_FN const unsigned char *locusi_weights(const locus_net *net, const locusi_spec *spec)
{
    locusi_header h = net->header;
    locusi_tensor t;
    size_t i;
    h.metadata = 0;
    while (locusi_next_tensor(&h, &t)) {
        if (!locusi_is(t.name, t.name_bytes, spec->name)) continue;
        for (i = 0; i < spec->rank && t.rank == spec->rank && t.shape[i] == spec->shape[i]; i++) {}
        if (i < spec->rank || strcmp(t.type, "F32") || t.bytes / 4 != t.count || t.bytes % 4) return NULL;
        for (i = 0; i < t.count && (locusi_le32(t.data + 4 * i) & 0x7fffffffu) < 0x53800000u; i++) {}
        return i == t.count ? t.data : NULL;
    }
    return NULL;
}

// The first `count` of them.
LOCUSI_FN locus_status locusi_find_encoder(const locusi_set *s, size_t count, locus_error *err)
{
    locusi_sizes sizes;
    locusi_spec spec;
    size_t i;
    locusi_encoder_sizes(sizes, s->q_dim, s->d, s->induced);
    for (i = 0; i < count; i++) {
        locusi_encoder_spec(sizes, s->layers, 0, i, &spec);
        if (!(s->weights[i] = locusi_weights(s->net, &spec)))
            return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "finite F32 of the right shape", "another, or none",
                               spec.name);
    }
    return LOCUS_OK;
}

// The vectors that look at all tokens, and behind them the block with which they do.
LOCUSI_FN locusi_mab locusi_layer(const locusi_set *s, size_t layer)
{
    return s->weights + 2 + layer * LOCUSI_LAYER_TENSORS;
}

LOCUSI_FN void locusi_norm(float *x, size_t d, const unsigned char *gain, const unsigned char *bias)
{
    float mean = 0.0f, square = 0.0f;
    size_t i;
    for (i = 0; i < d; i++) mean += x[i];
    mean /= (float)d;
    for (i = 0; i < d; i++) square += (x[i] - mean) * (x[i] - mean);
    square = 1.0f / sqrtf(square / (float)d + 1e-5f);
    for (i = 0; i < d; i++) x[i] = (x[i] - mean) * square * locusi_f32_at(gain, i) + locusi_f32_at(bias, i);
}

LOCUSI_FN void locusi_relu(float *x, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) x[i] = x[i] > 0.0f ? x[i] : 0.0f;
}

// s->x <- LN1(O + rff(O)), O = ReLU(LN0(fc_o s->h + s->x))
LOCUSI_FN void locusi_block_tail(const locusi_set *s, locusi_mab m)
{
    size_t i;
    locusi_affine(m[LOCUSI_MAB_OUT], NULL, s->d, s->h, s->d, s->o);
    for (i = 0; i < s->d; i++) s->o[i] += s->x[i];
    locusi_norm(s->o, s->d, m[LOCUSI_MAB_GAIN0], m[LOCUSI_MAB_BIAS0]);
    locusi_relu(s->o, s->d);
    locusi_affine(m[LOCUSI_MAB_W1], m[LOCUSI_MAB_B1], 2 * s->d, s->o, s->d, s->hidden);
    locusi_relu(s->hidden, 2 * s->d);
    locusi_affine(m[LOCUSI_MAB_W2], m[LOCUSI_MAB_B2], s->d, s->hidden, 2 * s->d, s->x);
    for (i = 0; i < s->d; i++) s->x[i] += s->o[i];
    locusi_norm(s->x, s->d, m[LOCUSI_MAB_GAIN1], m[LOCUSI_MAB_BIAS1]);
}

// Scores of one head: a query's part times a key's, scaled.
LOCUSI_FN float locusi_score_of(const locusi_set *s, const float *query, const float *key, size_t head)
{
    const size_t width = s->d / s->heads;
    float sum = 0.0f;
    size_t i;
    for (i = head * width; i < (head + 1) * width; i++) sum += query[i] * key[i];
    return sum / sqrtf((float)width);
}

// s->x looks at a layer's inducing vectors.
LOCUSI_FN void locusi_attend(const locusi_set *s, size_t layer)
{
    const float *const keys = s->keys + layer * s->induced * s->d, *const values = s->values + (keys - s->keys);
    const locusi_mab m = locusi_layer(s, layer) + 1 + LOCUSI_MAB_TENSORS;
    const size_t width = s->d / s->heads;
    size_t head, i, c;
    locusi_affine(m[LOCUSI_MAB_Q], NULL, s->d, s->x, s->d, s->k);
    for (head = 0; head < s->heads; head++) {
        float largest = -FLT_MAX, total = 0.0f;
        for (i = 0; i < s->induced; i++) {
            s->scores[i] = locusi_score_of(s, s->k, keys + i * s->d, head);
            largest = s->scores[i] > largest ? s->scores[i] : largest;
        }
        for (i = 0; i < s->induced; i++) total += s->scores[i] = expf(s->scores[i] - largest);
        for (c = head * width; c < (head + 1) * width; c++) {
            float sum = 0.0f;
            for (i = 0; i < s->induced; i++) sum += s->scores[i] * values[i * s->d + c];
            s->h[c] = sum / total;
        }
    }
    locusi_block_tail(s, m);
}

// The pass's `rows` queries look at s->x, one more token. Sums are kept relative to the largest score so far.
LOCUSI_FN void locusi_feed(const locusi_set *s, size_t rows, locusi_mab m)
{
    const size_t width = s->d / s->heads;
    size_t row, head, c;
    locusi_affine(m[LOCUSI_MAB_K], NULL, s->d, s->x, s->d, s->k);
    locusi_affine(m[LOCUSI_MAB_V], NULL, s->d, s->x, s->d, s->v);
    for (row = 0; row < rows; row++)
        for (head = 0; head < s->heads; head++) {
            float *const largest = &s->largest[row * s->heads + head], *const total = &s->total[row * s->heads + head];
            const float score = locusi_score_of(s, s->queries + row * s->d, s->k, head);
            const float kept = score > *largest ? expf(*largest - score) : 1.0f;
            if (score > *largest) *largest = score;
            *total = *total * kept + expf(score - *largest);
            for (c = head * width; c < (head + 1) * width; c++) {
                double *const sum = &s->sum[row * s->d + c];
                *sum = *sum * (double)kept + (double)(expf(score - *largest) * s->v[c]);
            }
        }
}

// Order of evaluations: by the numbers of their encodings, then by score. Equal ones are interchangeable.
LOCUSI_FN int locusi_evaluation_order(const void *a, const void *b)
{
    const locusi_evaluation *const x = (const locusi_evaluation *)a, *const y = (const locusi_evaluation *)b;
    size_t i;
    for (i = 0; i < x->dim; i++)
        if (x->q[i] < y->q[i] || x->q[i] > y->q[i]) return x->q[i] > y->q[i] ? 1 : -1;
    return x->y > y->y ? 1 : x->y < y->y ? -1 : 0;
}

// The model's evaluations, checked and in order.
LOCUSI_FN locus_status locusi_sort_set(locusi_set *s, locus_error *err)
{
    const locus_queries *const queries = &s->evals->queries;
    size_t i;
    locus_status status;
    for (i = s->count = 0; i < queries->count; i++) {
        locusi_evaluation *const e = &s->list[s->count];
        if (!locusi_score(s->evals, s->model, i, &e->y)) continue;
        e->q = queries->encodings + i * (queries->stride ? queries->stride : s->q_dim);
        e->dim = s->q_dim;
        if ((status = locusi_check_encoding(s->net, e->q, i, err))) return status;
        s->count++;
    }
    if (!s->count)
        return locusi_fail(err, LOCUS_ERR_EMPTY_SET, "model %z", "at least one evaluation", "none", s->model);
    locusi_sort(s->list, s->count, sizeof *s->list, locusi_evaluation_order);
    return LOCUS_OK;
}

// s->x <- the token of an evaluation
LOCUSI_FN void locusi_token(const locusi_set *s, const locusi_evaluation *e)
{
    const float *const q = e->q, y = e->y;
    size_t i;
    for (i = 0; i < s->d; i++) {
        const unsigned char *const w = s->weights[0] + 4 * (2 * s->q_dim + 1) * i;
        s->x[i] = locusi_dot(w, q, s->q_dim) + y * locusi_f32_at(w, s->q_dim) +
                  (2.0f * y - 1.0f) * locusi_dot(w + 4 * (s->q_dim + 1), q, s->q_dim) + locusi_f32_at(s->weights[1], i);
    }
}

LOCUSI_FN void locusi_seed(const locusi_set *s, size_t layer, size_t row)
{
    size_t i;
    for (i = 0; i < s->d; i++) s->x[i] = locusi_f32_at(locusi_layer(s, layer)[0], row * s->d + i);
}

// One pass: the tokens, through the layers below, are seen by a layer's inducing vectors or, at last, by the pooling.
LOCUSI_FN void locusi_pass(const locusi_set *s, size_t layer)
{
    const locusi_mab m = locusi_layer(s, layer) + 1, scatter = m + LOCUSI_MAB_TENSORS;
    const size_t rows = layer < s->layers ? s->induced : 1, d = s->d;
    size_t row, i, l;
    for (row = 0; row < rows; row++) {
        locusi_seed(s, layer, row);
        locusi_affine(m[LOCUSI_MAB_Q], NULL, d, s->x, d, s->queries + row * d);
    }
    for (i = 0; i < rows * s->heads; i++) s->largest[i] = -FLT_MAX, s->total[i] = 0.0f;
    memset(s->sum, 0, rows * d * sizeof(double));
    for (i = 0; i < s->count; i++) {
        locusi_token(s, &s->list[i]);
        for (l = 0; l < layer; l++) locusi_attend(s, l);
        locusi_feed(s, rows, m);
    }
    for (row = 0; row < rows; row++) {
        const size_t at = (layer * s->induced + row) * d;
        locusi_seed(s, layer, row);
        for (i = 0; i < d; i++)
            s->h[i] = (float)(s->sum[row * d + i] / (double)s->total[row * s->heads + i / (d / s->heads)]);
        locusi_block_tail(s, m);
        if (layer == s->layers) return;
        locusi_affine(scatter[LOCUSI_MAB_K], NULL, d, s->x, d, s->keys + at);
        locusi_affine(scatter[LOCUSI_MAB_V], NULL, d, s->x, d, s->values + at);
    }
}

LOCUSI_FN locus_status locusi_encode_set(locusi_set *s, float *z, locus_error *err)
{
    const locusi_mab output = locusi_layer(s, s->layers) + 1 + LOCUSI_MAB_TENSORS;
    const locus_status status = locusi_sort_set(s, err);
    size_t l;
    if (status) return status;
    for (l = 0; l <= s->layers; l++) locusi_pass(s, l);
    locusi_affine(output[0], output[1], s->d, s->x, s->d, z);
    for (l = 0; l < s->d; l++)
        if (!locusi_finite(z[l]))
            return locusi_fail(err, LOCUS_ERR_NONFINITE, "embedding", "finite numbers", "an overflow");
    return LOCUS_OK;
}

LOCUS_API locus_status locus_encode(const locus_net *net, const locus_evals *evals, float *z, const locus_run *run,
                                    locus_error *err)
{
    locusi_work work;
    locusi_set s;
    const unsigned char *begin[2];
    locus_status status;
    size_t d, tensors;
    if (!net || !evals || !z) return locusi_null(err, "net, evals, z");
    if ((status = locusi_check_rows(net, &evals->queries, err))) return status;
    if ((status = locusi_check_scores(&evals->scores, 0, evals->queries.count, err))) return status;
    memset(&s, 0, sizeof s);
    s.net = net;
    s.evals = evals;
    s.d = d = net->size[LOCUSI_D];
    s.q_dim = net->size[LOCUSI_Q];
    s.heads = locusi_meta_number(net, "n_heads");
    s.layers = locusi_meta_number(net, "n_layers");
    s.induced = locusi_meta_number(net, "m_induce");
    s.weights = begin;
    if (locusi_find_encoder(&s, 2, NULL))
        return locusi_fail(err, LOCUS_ERR_NO_ENCODER, "net", "a file with the encoder", "the predictor alone");
    if (locusi_meta_is(net, "encoder_kind", "sab"))
        return locusi_fail(err, LOCUS_ERR_UNSUPPORTED, "encoder_kind", "isab", "another");
    if (!s.heads || d % s.heads || !s.induced || !s.layers || s.layers > 64)
        return locusi_fail(err, LOCUS_ERR_METADATA, "n_heads, n_layers, m_induce",
                           "a divisor of z_dim, 1 to 64, at least 1", "%z, %z, %z", s.heads, s.layers, s.induced);
    locusi_work_begin(&work, run);
    tensors = locusi_encoder_size(s.layers, 0);
    s.weights = (const unsigned char **)locusi_take(&work, tensors, sizeof *s.weights);
    s.list = (locusi_evaluation *)locusi_take(&work, evals->queries.count, sizeof(locusi_evaluation));
    s.keys = (float *)locusi_take(&work, s.layers * s.induced, d * sizeof(float));
    s.values = (float *)locusi_take(&work, s.layers * s.induced, d * sizeof(float));
    s.queries = (float *)locusi_take(&work, s.induced, d * sizeof(float));
    s.sum = (double *)locusi_take(&work, s.induced, d * sizeof(double));
    s.largest = (float *)locusi_take(&work, s.induced, s.heads * sizeof(float));
    s.total = (float *)locusi_take(&work, s.induced, s.heads * sizeof(float));
    s.scores = (float *)locusi_take(&work, s.induced, sizeof(float));
    s.x = (float *)locusi_take(&work, 7, d * sizeof(float));
    status = locusi_work_short(&work, err);
    if (!status) {
        s.k = s.x + d;
        s.v = s.k + d;
        s.h = s.v + d;
        s.o = s.h + d;
        s.hidden = s.o + d;
        status = locusi_find_encoder(&s, tensors, err);
    }
    for (; s.model < evals->scores.models && !status; s.model++) status = locusi_encode_set(&s, z + s.model * d, err);
    locusi_work_end(&work);
    return status;
}
#endif // LOCUS_NO_ENCODER

#else // all the rest but >>router

// ---- types of numbers, files that are written

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

#ifndef LOCUS_NO_STDIO
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
#endif

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
    size_t n, i;
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
    n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000u ? 3 : 4;
    for (i = n; i-- > 1; code >>= 6) out[i] = (unsigned char)(0x80u | (code & 63u));
    out[0] = (unsigned char)(n == 1 ? code : 0xf00u >> n | code); // as many ones as bytes, and a zero
    return n;
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
    size_t bits;
    if (!type)
        return locusi_fail(err, LOCUS_ERR_FORMAT, "%s", "the dtype F32, F16, BF16, ...", "\"%s\"", t->name,
                           t->dtype_name ? t->dtype_name : "none");
    t->dtype = type->dtype;
    t->dtype_name = type->name;
    if (t->rank > 8) return locusi_fail(err, LOCUS_ERR_FORMAT, "%s", "rank 8 or less", "%z", t->name, t->rank);
    if (!locusi_shape_count(t->shape, t->rank, &t->count) || !locusi_mul(t->count, type->bits, &bits))
        return locusi_fail(err, LOCUS_ERR_OVERFLOW, "%s", "a shape that fits the address space", "more", t->name);
    if (bits % 8) return locusi_fail(err, LOCUS_ERR_FORMAT, "%s", "whole bytes", "%z bits", t->name, bits);
    t->bytes = bits / 8;
    return LOCUS_OK;
}

// An array of sizes; returns how many, of which the first `most` are kept.
LOCUSI_FN size_t locusi_json_sizes(locusi_cursor *c, size_t *out, size_t most)
{
    size_t count = 0, size;
    locusi_expect(c, "[", "'['");
    while (locusi_more(c, "]", &count)) {
        size = locusi_read_size(c, "a non-negative integer");
        if (count <= most) out[count - 1] = size;
    }
    return count;
}

// A tensor's entry.
LOCUSI_FN void locusi_json_tensor(locusi_cursor *c, locus_tensor *t, const unsigned char *data, size_t data_bytes)
{
    static const char *const keys[3] = {"dtype", "shape", "data_offsets"};
    size_t offsets[2] = {0, 0}, members = 0, seen[3] = {0, 0, 0}, length, count = 2, i;
    char key[16], type[16] = "";
    int nul = 0;
    c->what = t->name;
    locusi_expect(c, "{", "'{'");
    for (i = 0; i < 8; i++) t->shape[i] = 1;
    while (locusi_more(c, "}", &members)) {
        length = locusi_json_key(c, key, sizeof key);
        for (i = 0; i < 3 && (length >= sizeof key || strcmp(key, keys[i]) != 0); i++) {}
        if (i == 3) locusi_json_skip(c, 2);
        else if (i == 0) nul = locusi_json_string(c, type, sizeof type) == SIZE_MAX;
        else if (i == 1) t->rank = locusi_json_sizes(c, t->shape, 8);
        else count = locusi_json_sizes(c, offsets, 2);
        if (i < 3 && seen[i]++ && !c->status)
            c->status = locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "one %s", "two", t->name, keys[i]);
    }
    for (i = 0; i < 3 && !c->status; i++)
        if (!seen[i]) c->status = locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "%s", "none", t->name, keys[i]);
    c->what = "header";
    t->dtype_name = nul ? "" : type;
    if (c->status || (c->status = locusi_tensor_size(t, c->err)) != LOCUS_OK) return;
    if (count != 2) c->status = locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "2 data_offsets", "%z", t->name, count);
    else if (offsets[1] < offsets[0] || offsets[1] - offsets[0] != t->bytes)
        c->status = locusi_fail(c->err, LOCUS_ERR_FORMAT, "%s", "%z bytes by its shape", "%z to %z by its offsets",
                                t->name, t->bytes, offsets[0], offsets[1]);
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

LOCUSI_FN int locusi_tensor_data_order(const void *a, const void *b)
{
    const locus_tensor *const x = (const locus_tensor *)a, *const y = (const locus_tensor *)b;
    const uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data, n = (uintptr_t)x->name, m = (uintptr_t)y->name;
    if (p != q) return p < q ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return n < m ? -1 : n > m; // empty tensors: as in the header
}

LOCUSI_FN int locusi_name_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// No name twice: of the tensors, and of the metadata. names: for as many of them as there are of either.
LOCUSI_FN locus_status locusi_unique_names(const char **names, const locus_tensor *tensors, size_t tensor_count,
                                           const locus_metadata *metadata, size_t metadata_count, locus_error *err)
{
    const size_t count[2] = {tensor_count, metadata_count};
    size_t i, of;
    for (of = 0; of < 2; of++) {
        for (i = 0; i < count[of]; i++) names[i] = of ? metadata[i].key : tensors[i].name;
        locusi_sort(names, count[of], sizeof *names, locusi_name_order);
        for (i = 1; i < count[of]; i++)
            if (strcmp(names[i - 1], names[i]) == 0)
                return locusi_fail(err, LOCUS_ERR_FORMAT, "%s", "one %s of that name", "two", names[i],
                                   of ? "metadata entry" : "tensor");
    }
    return LOCUS_OK;
}

// The whole header into lists that are long enough.
LOCUSI_FN locus_status locusi_read_header(locusi_cursor *c, locus_safetensors *out, const char **names, char *text,
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
    status = locusi_unique_names(names, out->tensors, out->tensor_count, out->metadata, out->metadata_count, c->err);
    if (status) return status;
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
    const char **names;
    char *text;
    if (!out) return locusi_null(err, "out");
    memset(out, 0, sizeof *out);
    if (!data && bytes) return locusi_null(err, "data");
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
    names = (const char **)locusi_take(&w, tensors > metadata ? tensors : metadata, sizeof *names);
    text = (char *)locusi_take(&w, c.length, 1);
    if (!(status = locusi_work_short(&w, err)))
        status = locusi_read_header(&c, out, names, text, c.text + c.length, bytes - 8 - c.length);
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
    if (!t || (count && !out)) return locusi_null(err, t ? "out" : "t");
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
    if (!out) return locusi_null(err, "out");
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
    return p != q ? (p > q ? -1 : 1) : strcmp(((const locus_tensor *)a)->name, ((const locus_tensor *)b)->name);
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

// Checks and completes the tensors and puts them into the file's order. names: see locusi_unique_names.
LOCUSI_FN locus_status locusi_save_check(locus_tensor *tensors, size_t tensor_count, const locus_metadata *metadata,
                                         size_t metadata_count, const char **names, locus_error *err)
{
    size_t i, total = 0;
    locus_status status;
    for (i = 0; i < metadata_count; i++) {
        status = locusi_save_name(metadata[i].value ? metadata[i].key : NULL, i, "metadata", LOCUS_ERR_METADATA, err);
        if (status) return status;
        if (!locusi_utf8_valid((const unsigned char *)metadata[i].value, strlen(metadata[i].value)))
            return locusi_fail(err, LOCUS_ERR_FORMAT, "%s", "valid UTF-8", "other bytes", metadata[i].key);
    }
    for (i = 0; i < tensor_count; i++) {
        locus_tensor *const t = &tensors[i];
        if ((status = locusi_save_name(t->name, i, "tensor", LOCUS_ERR_FORMAT, err))) return status;
        if ((status = locusi_tensor_size(t, err))) return status;
        if (!t->data && t->bytes) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "data", "NULL", t->name);
        if (!locusi_add(total, t->bytes, &total))
            return locusi_fail(err, LOCUS_ERR_OVERFLOW, "%s", "a total that fits the address space", "more", t->name);
    }
    if ((status = locusi_unique_names(names, tensors, tensor_count, metadata, metadata_count, err))) return status;
    locusi_sort(tensors, tensor_count, sizeof *tensors, locusi_save_order);
    return LOCUS_OK;
}

LOCUS_API locus_status locus_safetensors_save(const char *path, const locus_tensor *tensors, size_t tensor_count,
                                              const locus_metadata *metadata, size_t metadata_count, locus_error *err)
{
    locus_tensor *sorted;
    const char **names;
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
    names =
        (const char **)locusi_take(&w, tensor_count > metadata_count ? tensor_count : metadata_count, sizeof *names);
    if (!(status = locusi_work_short(&w, err))) {
        if (tensor_count) memcpy(sorted, tensors, tensor_count * sizeof *sorted);
        status = locusi_save_check(sorted, tensor_count, metadata, metadata_count, names, err);
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
    (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 8) || defined(_MSC_VER))
#define LOCUSI_X86 1
#include <immintrin.h>
#else
#define LOCUSI_X86 0
#endif
#if !defined(LOCUS_NO_SIMD) && (defined(__aarch64__) || defined(_M_ARM64)) && !defined(__AARCH64EB__) &&               \
    (defined(__clang__) || defined(__GNUC__) || defined(_MSC_VER))
#define LOCUSI_ARM64 1
#include <arm_neon.h>
#else
#define LOCUSI_ARM64 0
#endif
#if defined(_MSC_VER)
#include <intrin.h>
#endif

#if defined(__GNUC__) || defined(__clang__)
#define LOCUSI_INLINE inline __attribute__((always_inline))
#define LOCUSI_PREFETCH(p) __builtin_prefetch(p)
#define LOCUSI_PREFETCH_OUT(p) __builtin_prefetch(p, 1)
#else
#define LOCUSI_INLINE inline
#define LOCUSI_PREFETCH(p) ((void)(p))
#define LOCUSI_PREFETCH_OUT(p) ((void)(p))
#endif
#if defined(__clang__)
#define LOCUSI_UNROLL _Pragma("unroll")
#elif defined(__GNUC__) && __GNUC__ >= 8
#define LOCUSI_UNROLL _Pragma("GCC unroll 16")
#else
#define LOCUSI_UNROLL
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

// All kernels: X(result, name, parameters). What they do is said where they are.
#define LOCUSI_KERNEL_LIST(X)                                                                                          \
    X(void, matmul, (const locusi_matmul *m))                                                                          \
    X(void, softmax, (float *s, size_t lds, size_t rows, size_t panels))                                               \
    X(int, layernorm,                                                                                                  \
      (float *x, size_t ldx, size_t rows, size_t d, size_t panels, const float *gain, const float *bias,               \
       const float *live, int relu, float *hat, float *inverse))                                                       \
    X(float, weights,                                                                                                  \
      (const float *const *s, size_t at, size_t rows, size_t n, const float *shift, double *p, float *top))            \
    X(void, widen, (const float *const *v, size_t at, size_t rows, size_t n, float scale, double *v64))                \
    X(void, accumulate,                                                                                                \
      (const double *p, size_t ldp, size_t rows, size_t r, const double *v, size_t width, double one, int64_t *sum,    \
       int64_t *total))                                                                                                \
    X(void, relu_dot, (const float *h, size_t ldh, size_t rows, size_t n, const float *w, float b, float *out))        \
    X(void, scale, (const float *b, const float *u, size_t k, size_t panels, float *out))                              \
    X(float, square, (const float *x, size_t n))                                                                       \
    X(void, kernel, (float *c, const float *half, float half_x, size_t n))                                             \
    X(void, axpy, (float factor, const float *x, float *y, size_t n))                                                  \
    LOCUSI_EXPLORE_KERNELS(X)                                                                                          \
    LOCUSI_TRAIN_KERNELS(X)
#ifndef LOCUS_NO_EXPLORE
#define LOCUSI_EXPLORE_KERNELS(X)                                                                                      \
    X(int64_t, cover, (const float *p, const float *best, const double *w, size_t n))                                  \
    X(size_t, find, (const float *x, size_t from, size_t n, float limit))
#else
#define LOCUSI_EXPLORE_KERNELS(X)
#endif
#ifndef LOCUS_NO_TRAIN
#define LOCUSI_TRAIN_KERNELS(X)                                                                                        \
    X(void, layernorm_back,                                                                                            \
      (float *dy, size_t ldx, size_t rows, size_t d, size_t panels, const float *gain, const float *live,              \
       const float *hat, const float *inverse, float *dgain, float *dbias))                                            \
    X(void, softmax_back,                                                                                              \
      (const float *a, float *da, size_t lda, size_t ldd, size_t rows, size_t panels, float scale))                    \
    X(void, softmax_down, (float *s, size_t lds, size_t rows, size_t panels))                                          \
    X(void, softmax_down_back,                                                                                         \
      (const float *a, float *da, size_t lda, size_t ldd, size_t rows, size_t panels, const float *dot, float scale))  \
    X(void, affine_relu,                                                                                               \
      (const float *x, size_t ldx, size_t rows, size_t panels, const float *gain, const float *bias, float *y))        \
    X(void, relu_back, (float *dx, size_t ldx, const float *y, size_t ldy, size_t rows, size_t panels))                \
    X(void, add_rows, (const float *x, size_t ldx, size_t rows, size_t panels, float *sum))                            \
    X(void, adam, (const locusi_adam *o, float *theta, const float *gradient, float *m, float *v, size_t n))
#else
#define LOCUSI_TRAIN_KERNELS(X)
#endif

#define LOCUSI_MEMBER(result, name, parameters) result(*name) parameters;
#define LOCUSI_ENTRY(result, name, parameters) LOCUSI_NAME(name),
typedef struct locusi_kernels {
    LOCUSI_KERNEL_LIST(LOCUSI_MEMBER)
} locusi_kernels;

LOCUS_API const char *locus_isa_name(locus_isa isa)
{
    static const char *const names[] = {"auto", "scalar", "avx2", "avx512", "neon"};
    return (unsigned)isa < LOCUS_ISA_COUNT ? names[isa] : NULL;
}

LOCUS_API int locus_isa_supported(locus_isa isa)
{
    if (isa == LOCUS_ISA_AUTO || isa == LOCUS_ISA_SCALAR) return 1;
#if LOCUSI_ARM64
    return isa == LOCUS_ISA_NEON;
#elif LOCUSI_X86 && defined(_MSC_VER)
    {
        int one[4], seven[4]; // CPUID: what the processor has; XGETBV: what the operating system saves
        unsigned long long saved = 0;
        __cpuid(one, 0);
        if (one[0] < 7) return 0;
        __cpuid(one, 1);
        __cpuidex(seven, 7, 0);
        if (one[2] & 1 << 27) saved = _xgetbv(0);
        if ((saved & 0x06) != 0x06 || !(one[2] & 1 << 12) || !(seven[1] & 1 << 5)) return 0; // FMA, AVX2
        if (isa == LOCUS_ISA_AVX2) return 1;
        return isa == LOCUS_ISA_AVX512 && (saved & 0xe6) == 0xe6 && ((unsigned)seven[1] & 0xc0030000u) == 0xc0030000u;
    }
#elif LOCUSI_X86
    __builtin_cpu_init();
    if (isa == LOCUS_ISA_AVX2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return isa == LOCUS_ISA_AVX512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
#else
    return 0;
#endif
}
#endif // LOCUS_INFERENCE_ONLY
#endif // LOCUS_IMPLEMENTATION, first part

// ------------------------------------------------------------------------------------------------------- >>kernels
//
// Written once in a small vocabulary and compiled for each instruction set: this file includes itself with
// LOCUSI_KERNEL_PASS defined. VFLOAT is a vector of VL floats, VDOUBLE of VDL doubles; VF(add) and VD(add) are their
// operations, called as x86 calls them (loadu, storeu, set1, fmadd, ...); what no intrinsic does is in >>vocabulary.
//
// Packed matrices. A weight W [n, k] is stored for y = x W^T as panels of 16 outputs: panel p holds, for each k, the 16
// values W[16p .. 16p+15][k], zero beyond n. The layout is the same for every instruction set.
//
// Every output element is one chain of fused multiply-adds over k in ascending order, however many rows there are, so
// a row's result does not depend on the rows beside it. Of the C library only sqrtf is called.
#if defined(LOCUSI_KERNEL_PASS)

// ---- products

LOCUSI_TARGET static LOCUSI_INLINE void LOCUSI_NAME(finish)(VFLOAT v, float *out, const float *bias,
                                                            const float *residual, int relu)
{
    if (bias) v = VF(add)(v, VF(loadu)(bias));
    if (residual) v = VF(add)(v, VF(loadu)(residual));
    if (relu) v = VF(max)(v, VF(set1)(0.0f));
    VF(storeu)(out, v);
}

// c[i][0..2VL) <- sum_p a[i][p] * (u[p], w[p]) (+ bias) (+ residual) (then ReLU); u and w advance by ldb floats a step.
// `rows` and `two` (0: one vector wide) are constants where this is called, so that the sums stay in registers.
LOCUSI_TARGET static LOCUSI_INLINE void LOCUSI_NAME(block)(const locusi_matmul *m, size_t rows, int two, const float *a,
                                                           const float *u, float *c, const float *bias,
                                                           const float *residual)
{
    const size_t lda = m->lda, step = m->step, ldb = m->ldb, ldc = m->ldc, ldr = m->ldr;
    const float *w = two ? (VL == 16 ? u + m->panel : u + VL) : u;
    VFLOAT left[LOCUSI_ROWS], right[LOCUSI_ROWS];
    size_t i, p;
    LOCUSI_UNROLL
    for (i = 0; i < rows; i++) {
        left[i] = right[i] = VF(set1)(0.0f);
        if (VL >= 8) LOCUSI_PREFETCH_OUT(c + i * ldc); // where the result goes, meanwhile
        if (VL >= 8 && two) LOCUSI_PREFETCH_OUT(c + i * ldc + VL);
    }
    for (p = m->k; p > 0; p--) {
        const VFLOAT bu = VF(loadu)(u), bw = VF(loadu)(w);
        LOCUSI_UNROLL
        for (i = 0; i < rows; i++) {
            const VFLOAT x = VF(set1)(a[i * lda]);
            left[i] = VF(fmadd)(x, bu, left[i]);
            if (two) right[i] = VF(fmadd)(x, bw, right[i]);
        }
        a += step;
        u += ldb;
        w += ldb;
    }
    LOCUSI_UNROLL
    for (i = 0; i < rows; i++) {
        LOCUSI_NAME(finish)(left[i], c + i * ldc, bias, residual ? residual + i * ldr : NULL, m->relu);
        if (two) LOCUSI_NAME(finish)
        (right[i], c + i * ldc + VL, bias ? bias + VL : NULL, residual ? residual + i * ldr + VL : NULL, m->relu);
    }
}

// All rows of one strip of columns, in blocks of LOCUSI_ROWS, 4 and 1.
LOCUSI_TARGET static LOCUSI_INLINE void LOCUSI_NAME(strip)(const locusi_matmul *m, int two, const float *u, float *c,
                                                           const float *bias, const float *residual)
{
    const float *a = m->a;
    size_t left, rows;
    for (left = m->rows; left > 0; left -= rows) {
        rows = left >= LOCUSI_ROWS ? LOCUSI_ROWS : left >= 4 ? 4 : 1;
        if (rows == LOCUSI_ROWS) LOCUSI_NAME(block)(m, LOCUSI_ROWS, two, a, u, c, bias, residual);
        else if (rows == 4) LOCUSI_NAME(block)(m, 4, two, a, u, c, bias, residual);
        else LOCUSI_NAME(block)(m, 1, two, a, u, c, bias, residual);
        a += rows * m->lda;
        c += rows * m->ldc;
        if (residual) residual += rows * m->ldr;
    }
}

// c [rows, 16 * panels] <- a [rows, k] x b (+ bias) (+ residual) (then ReLU); c overlaps none of the others, but the
// residual may be c itself: then it is added to
LOCUSI_TARGET static void LOCUSI_NAME(matmul)(const locusi_matmul *m)
{
    const size_t columns = 16 * m->panels;
    size_t j, width;
    for (j = 0; j < columns; j += width) {
        const float *u = m->b + j / 16 * m->panel + j % 16, *bias = m->bias ? m->bias + j : NULL;
        const float *residual = m->residual ? m->residual + j : NULL;
        width = columns - j >= 2 * VL ? 2 * VL : VL;
        if (width == VL) LOCUSI_NAME(strip)(m, 0, u, m->c + j, bias, residual);
        else LOCUSI_NAME(strip)(m, 1, u, m->c + j, bias, residual);
    }
}

// out[i] <- b + sum_j relu(h[i][j]) * w[j]; n a multiple of 16
LOCUSI_TARGET static void LOCUSI_NAME(relu_dot)(const float *h, size_t ldh, size_t rows, size_t n, const float *w,
                                                float b, float *out)
{
    size_t i, j;
    for (i = 0; i < rows; i++, h += ldh) {
        VFLOAT sum = VF(set1)(0.0f);
        for (j = 0; j < n; j += VL) // in this order of the two NaN comes through
            sum = VF(fmadd)(VF(max)(VF(set1)(0.0f), VF(loadu)(h + j)), VF(loadu)(w + j), sum);
        out[i] = LOCUSI_NAME(total)(sum) + b;
    }
}

// out <- packed b with each step k scaled by u[k]
LOCUSI_TARGET static void LOCUSI_NAME(scale)(const float *b, const float *u, size_t k, size_t panels, float *out)
{
    size_t p, i, j;
    for (p = 0; p < panels; p++)
        for (i = 0; i < k; i++, b += 16, out += 16) {
            const VFLOAT s = VF(set1)(u[i]);
            for (j = 0; j < 16; j += VL) VF(storeu)(out + j, VF(mul)(VF(loadu)(b + j), s));
        }
}

// y += factor * x over n floats, n a multiple of 16
LOCUSI_TARGET static void LOCUSI_NAME(axpy)(float factor, const float *x, float *y, size_t n)
{
    const VFLOAT s = VF(set1)(factor);
    size_t j;
    for (j = 0; j < n; j += VL) VF(storeu)(y + j, VF(fmadd)(s, VF(loadu)(x + j), VF(loadu)(y + j)));
}

// sum of squares of n floats, any n
LOCUSI_TARGET static float LOCUSI_NAME(square)(const float *x, size_t n)
{
    VFLOAT a = VF(set1)(0.0f), b = a, c = a, d = a;
    float tail = 0.0f;
    size_t i;
    for (i = 0; i + 4 * VL <= n; i += 4 * VL) {
        const VFLOAT x0 = VF(loadu)(x + i), x1 = VF(loadu)(x + i + VL), x2 = VF(loadu)(x + i + 2 * VL),
                     x3 = VF(loadu)(x + i + 3 * VL);
        a = VF(fmadd)(x0, x0, a);
        b = VF(fmadd)(x1, x1, b);
        c = VF(fmadd)(x2, x2, c);
        d = VF(fmadd)(x3, x3, d);
    }
    for (; i < n; i++) tail += x[i] * x[i];
    return LOCUSI_NAME(total)(VF(add)(VF(add)(a, b), VF(add)(c, d))) + tail;
}

// ---- exponentials

// 2^x to about 1 ulp for x in [-126, 127]; smaller x give 2^-126.
LOCUSI_TARGET static LOCUSI_INLINE VFLOAT LOCUSI_NAME(exp2)(VFLOAT x)
{
    VFLOAT n, f, y;
    x = VF(max)(x, VF(set1)(-126.0f));
    n = LOCUSI_NAME(nearest)(x);
    f = VF(sub)(x, n);
    y = VF(set1)(0.0001534581242594868f);
    y = VF(fmadd)(y, f, VF(set1)(0.0013399930903688073f));
    y = VF(fmadd)(y, f, VF(set1)(0.009618489071726799f));
    y = VF(fmadd)(y, f, VF(set1)(0.05550328642129898f));
    y = VF(fmadd)(y, f, VF(set1)(0.24022646248340607f));
    y = VF(fmadd)(y, f, VF(set1)(0.6931471824645996f));
    y = VF(fmadd)(y, f, VF(set1)(1.0f));
    return VF(mul)(y, LOCUSI_NAME(pow2)(n));
}

// Each row s[i][0..16 * panels) <- 2^(s - max) / sum. Columns beyond the real ones hold -1e30 and come out as nothing.
LOCUSI_TARGET static void LOCUSI_NAME(softmax)(float *s, size_t lds, size_t rows, size_t panels)
{
    const size_t n = 16 * panels;
    size_t i, j;
    for (i = 0; i < rows; i++, s += lds) {
        VFLOAT top = VF(loadu)(s), sum = VF(set1)(0.0f);
        for (j = VL; j < n; j += VL) top = VF(max)(top, VF(loadu)(s + j));
        top = VF(set1)(LOCUSI_NAME(most)(top));
        for (j = 0; j < n; j += VL) {
            const VFLOAT e = LOCUSI_NAME(exp2)(VF(sub)(VF(loadu)(s + j), top));
            sum = VF(add)(sum, e);
            VF(storeu)(s + j, e);
        }
        sum = VF(set1)(1.0f / LOCUSI_NAME(total)(sum));
        for (j = 0; j < n; j += VL) VF(storeu)(s + j, VF(mul)(VF(loadu)(s + j), sum));
    }
}

// c [n] holds x.x' -> (c + e + e^3) / 3 with e = exp(-|x - x'|^2), from half the squared lengths; n a multiple of 16
LOCUSI_TARGET static void LOCUSI_NAME(kernel)(float *c, const float *half, float half_x, size_t n)
{
    const VFLOAT own = VF(set1)(half_x), zero = VF(set1)(0.0f), third = VF(set1)(1.0f / 3.0f);
    size_t j;
    for (j = 0; j < n; j += VL) {
        const VFLOAT dot = VF(loadu)(c + j), d = VF(max)(VF(sub)(VF(add)(own, VF(loadu)(half + j)), dot), zero);
        const VFLOAT e = LOCUSI_NAME(exp2)(VF(mul)(d, VF(set1)(-2.8853900817779268f))); // -2 log2(e)
        VF(storeu)(c + j, VF(mul)(VF(add)(VF(add)(dot, e), VF(mul)(e, VF(mul)(e, e))), third));
    }
}

// ---- layer norm

// Each row x[i] <- (x - mean) / sqrt(variance + 1e-5) * gain + bias (then ReLU) over d columns, in place; n = 16 panels
// are stored, those beyond d are 0 and stay 0 (live is 1 on the real ones). Returns 0 if a row is not finite. hat, or
// NULL: the way back needs [rows, ldx] the rows before gain and bias, and [rows] 1 / deviation.
LOCUSI_TARGET static int LOCUSI_NAME(layernorm)(float *x, size_t ldx, size_t rows, size_t d, size_t panels,
                                                const float *gain, const float *bias, const float *live, int relu,
                                                float *hat, float *inverse)
{
    const size_t n = 16 * panels;
    const float share = 1.0f / (float)d;
    int finite = 1;
    size_t i, j;
    for (i = 0; i < rows; i++, x += ldx) {
        VFLOAT sum = VF(set1)(0.0f), square = sum, mean;
        float variance, by;
        for (j = 0; j < n; j += VL) sum = VF(add)(sum, VF(loadu)(x + j));
        mean = VF(set1)(LOCUSI_NAME(total)(sum) * share);
        for (j = 0; j < n; j += VL) {
            const VFLOAT t = VF(mul)(VF(sub)(VF(loadu)(x + j), mean), VF(loadu)(live + j));
            square = VF(fmadd)(t, t, square);
        }
        variance = LOCUSI_NAME(total)(square) * share;
        finite &= locusi_finite(variance);
        by = 1.0f / sqrtf(variance + 1e-5f);
        for (j = 0; j < n; j += VL) {
            const VFLOAT t = VF(mul)(VF(sub)(VF(loadu)(x + j), mean), VF(set1)(by));
            VFLOAT y = VF(fmadd)(t, VF(loadu)(gain + j), VF(loadu)(bias + j));
            if (relu) y = VF(max)(y, VF(set1)(0.0f));
            VF(storeu)(x + j, y);
            if (hat) VF(storeu)(hat + i * ldx + j, VF(mul)(t, VF(loadu)(live + j)));
        }
        if (hat) inverse[i] = by;
    }
    return finite;
}

// ---- exact sums, see >>encoder

// p [rows, n] <- 2^(s[i][at + j] - shift[j]) as doubles, the last bit of the float's mantissa set; top[j] <- the
// greatest s in column j, if it is greater than that. Returns the greatest of top - shift. n a multiple of 16.
LOCUSI_TARGET static float LOCUSI_NAME(weights)(const float *const *s, size_t at, size_t rows, size_t n,
                                                const float *shift, double *p, float *top)
{
    VFLOAT high = VF(set1)(-FLT_MAX);
    size_t i, j;
    for (j = 0; j < n; j += VL) {
        const VFLOAT down = VF(loadu)(shift + j);
        VFLOAT most = VF(loadu)(top + j);
        for (i = 0; i < rows; i++) {
            const VFLOAT v = VF(loadu)(s[i] + at + j);
            if (i + 6 < rows) LOCUSI_PREFETCH(s[i + 6] + at + j);
            most = VF(max)(most, v);
            LOCUSI_NAME(store_doubles)
            (p + i * n + j, LOCUSI_NAME(odd)(LOCUSI_NAME(exp2)(VF(min)(VF(set1)(64.0f), VF(sub)(v, down)))));
        }
        VF(storeu)(top + j, most);
        high = VF(max)(high, VF(sub)(most, down));
    }
    return LOCUSI_NAME(most)(high);
}

// v64 [rows, n] <- scale * v[i][at + j] as doubles, the last bit of the float's mantissa set; scale: a power of two
LOCUSI_TARGET static void LOCUSI_NAME(widen)(const float *const *v, size_t at, size_t rows, size_t n, float scale,
                                             double *v64)
{
    const VFLOAT s = VF(set1)(scale);
    size_t i, j;
    for (i = 0; i < rows; i++)
        for (j = 0; j < n; j += VL)
            LOCUSI_NAME(store_doubles)(v64 + i * n + j, LOCUSI_NAME(odd)(VF(mul)(VF(loadu)(v[i] + at + j), s)));
}

// sum[q][0..2VDL) += round(p[i][q] * v[i][0..2VDL)) over at most 128 rows i, as 64-bit integers; |p v| <= 2^44. q < r,
// a constant where this is called.
// An accumulator starts at 1.5 * 2^52, where a double's last bit counts 1: each multiply-add rounds its (exact) product
// to an integer and adds it without error. p and v come with odd 24-bit mantissas, so no product lies half-way between
// two integers and the rounding can't depend on the sum so far.
LOCUSI_TARGET static LOCUSI_INLINE void LOCUSI_NAME(sum_block)(const double *p, size_t ldp, size_t rows, size_t r,
                                                               const double *v, size_t width, int64_t *sum)
{
    VSUM left[LOCUSI_SUMS], right[LOCUSI_SUMS];
    size_t i;
    LOCUSI_UNROLL
    for (i = 0; i < r; i++) left[i] = right[i] = VSUM_START;
    for (; rows > 0; rows--) {
        const VDOUBLE v0 = VD(loadu)(v), v1 = VD(loadu)(v + VDL);
        LOCUSI_UNROLL
        for (i = 0; i < r; i++) {
            const VDOUBLE x = VD(set1)(p[i]);
            left[i] = VSUM_ADD(left[i], x, v0);
            right[i] = VSUM_ADD(right[i], x, v1);
        }
        p += ldp;
        v += width;
    }
    LOCUSI_UNROLL
    for (i = 0; i < r; i++) {
        LOCUSI_NAME(sum_finish)(sum + i * width, left[i]);
        LOCUSI_NAME(sum_finish)(sum + i * width + VDL, right[i]);
    }
}

// sum [r, width] += p [rows, r]^T v [rows, width] and total [r] += p's sums in units of 1 / one; width a multiple of 16
LOCUSI_TARGET static void LOCUSI_NAME(accumulate)(const double *p, size_t ldp, size_t rows, size_t r, const double *v,
                                                  size_t width, double one, int64_t *sum, int64_t *total)
{
    size_t i, j, q;
    for (j = 0; j < width; j += 2 * VDL) {
        for (q = 0; q + LOCUSI_SUMS <= r; q += LOCUSI_SUMS)
            LOCUSI_NAME(sum_block)(p + q, ldp, rows, LOCUSI_SUMS, v + j, width, sum + q * width + j);
        for (; q < r; q++) LOCUSI_NAME(sum_block)(p + q, ldp, rows, 1, v + j, width, sum + q * width + j);
    }
    for (q = 0; q < r; q += VDL) { // p and total are padded to 16
        VSUM t = VSUM_START;
        for (i = 0; i < rows; i++) t = VSUM_ADD(t, VD(loadu)(p + i * ldp + q), VD(set1)(one));
        LOCUSI_NAME(sum_finish)(total + q, t);
    }
}

#ifndef LOCUS_NO_EXPLORE
// sum over n queries of max(p, best) * w, each product rounded to an integer: exact, the same for every instruction
// set; 0 <= p <= 1, the sum of w at most 2^50. Each product of two 24-bit mantissas is exact before it is rounded.
LOCUSI_TARGET static int64_t LOCUSI_NAME(cover)(const float *p, const float *best, const double *w, size_t n)
{
    double x[VL];
    int64_t sum[VL], all = 0;
    size_t i, j;
    for (j = 0; j < VL; j++) sum[j] = 0;
    for (i = 0; i + VL <= n; i += VL) {
        LOCUSI_NAME(store_doubles)(x, VF(max)(VF(loadu)(p + i), VF(loadu)(best + i)));
        for (j = 0; j < VL; j += VDL) LOCUSI_NAME(sum_finish)
        (sum + j, VSUM_ADD(VSUM_START, VD(loadu)(x + j), VD(loadu)(w + i + j)));
    }
    for (j = 0; j < VL; j++) all += sum[j];
    for (; i < n; i++)
        all += locusi_bits((double)(p[i] > best[i] ? p[i] : best[i]) * w[i] + LOCUSI_MAGIC) - LOCUSI_MAGIC_BITS;
    return all;
}

// Where the first 16 floats stand of which one is at most `limit`, from a multiple of 16 on; n (another) if there are
// none
LOCUSI_TARGET static size_t LOCUSI_NAME(find)(const float *x, size_t from, size_t n, float limit)
{
    while (from < n) {
        const size_t end = n - from < 128 ? n : from + 128;
        VFLOAT least = VF(loadu)(x + from);
        size_t j;
        for (j = from + VL; j < end; j += VL) least = VF(min)(least, VF(loadu)(x + j));
        if (LOCUSI_NAME(most)(VF(sub)(VF(set1)(limit), least)) < 0.0f) {
            from = end;
            continue;
        }
        for (; from < end; from += 16) {
            least = VF(loadu)(x + from);
            for (j = from + VL; j < from + 16; j += VL) least = VF(min)(least, VF(loadu)(x + j));
            if (LOCUSI_NAME(most)(VF(sub)(VF(set1)(limit), least)) >= 0.0f) return from;
        }
    }
    return n;
}
#endif

#ifndef LOCUS_NO_TRAIN
// ---- training

// dy [rows, ldx] <- gradient of the layer norm's input from that of its output: with g = dy gain,
// (g - mean(g) - hat mean(g hat)) / deviation; dgain += sum dy hat, dbias += sum dy.
LOCUSI_TARGET static void LOCUSI_NAME(layernorm_back)(float *dy, size_t ldx, size_t rows, size_t d, size_t panels,
                                                      const float *gain, const float *live, const float *hat,
                                                      const float *inverse, float *dgain, float *dbias)
{
    const size_t n = 16 * panels;
    const float share = 1.0f / (float)d;
    size_t first, i, j;
    for (first = 0; first < rows; first += 16) { // few enough rows to stay in the first cache
        const size_t end = rows - first < 16 ? rows : first + 16;
        for (j = 0; j < n; j += VL) {
            VFLOAT a = VF(loadu)(dgain + j), b = VF(loadu)(dbias + j);
            for (i = first; i < end; i++) {
                const VFLOAT y = VF(loadu)(dy + i * ldx + j);
                a = VF(fmadd)(y, VF(loadu)(hat + i * ldx + j), a);
                b = VF(add)(y, b);
            }
            VF(storeu)(dgain + j, a);
            VF(storeu)(dbias + j, b);
        }
        for (i = first; i < end; i++) {
            float *y = dy + i * ldx;
            const float *t = hat + i * ldx;
            VFLOAT sum = VF(set1)(0.0f), product = sum, mean, slope;
            for (j = 0; j < n; j += VL) {
                const VFLOAT g = VF(mul)(VF(loadu)(y + j), VF(loadu)(gain + j));
                sum = VF(add)(sum, g);
                product = VF(fmadd)(g, VF(loadu)(t + j), product);
            }
            mean = VF(set1)(LOCUSI_NAME(total)(sum) * share);
            slope = VF(set1)(LOCUSI_NAME(total)(product) * share);
            for (j = 0; j < n; j += VL) {
                VFLOAT g = VF(mul)(VF(loadu)(y + j), VF(loadu)(gain + j));
                g = VF(sub)(VF(sub)(g, mean), VF(mul)(VF(loadu)(t + j), slope));
                VF(storeu)(y + j, VF(mul)(VF(mul)(g, VF(set1)(inverse[i])), VF(loadu)(live + j)));
            }
        }
    }
}

// ds [rows, ldd] <- scale * a (da - sum a da) in the place of da, for each row's softmax a
LOCUSI_TARGET static void LOCUSI_NAME(softmax_back)(const float *a, float *da, size_t lda, size_t ldd, size_t rows,
                                                    size_t panels, float scale)
{
    const size_t n = 16 * panels;
    const VFLOAT s = VF(set1)(scale);
    size_t i, j;
    for (i = 0; i < rows; i++, a += lda, da += ldd) {
        VFLOAT dot = VF(set1)(0.0f);
        for (j = 0; j < n; j += VL) dot = VF(fmadd)(VF(loadu)(a + j), VF(loadu)(da + j), dot);
        dot = VF(set1)(LOCUSI_NAME(total)(dot));
        for (j = 0; j < n; j += VL)
            VF(storeu)(da + j, VF(mul)(VF(mul)(VF(loadu)(a + j), s), VF(sub)(VF(loadu)(da + j), dot)));
    }
}

// Softmax down each of the 16 * panels columns, in powers of 2.
LOCUSI_TARGET static void LOCUSI_NAME(softmax_down)(float *s, size_t lds, size_t rows, size_t panels)
{
    size_t i, j;
    for (j = 0; j < 16 * panels; j += VL) {
        VFLOAT top = VF(loadu)(s + j), sum = VF(set1)(0.0f);
        for (i = 1; i < rows; i++) top = VF(max)(top, VF(loadu)(s + i * lds + j));
        for (i = 0; i < rows; i++) {
            const VFLOAT e = LOCUSI_NAME(exp2)(VF(sub)(VF(loadu)(s + i * lds + j), top));
            sum = VF(add)(sum, e);
            VF(storeu)(s + i * lds + j, e);
        }
        sum = VF(div)(VF(set1)(1.0f), sum);
        for (i = 0; i < rows; i++) VF(storeu)(s + i * lds + j, VF(mul)(VF(loadu)(s + i * lds + j), sum));
    }
}

// ds <- scale * a (da - dot) in the place of da; dot: sum a da of each column
LOCUSI_TARGET static void LOCUSI_NAME(softmax_down_back)(const float *a, float *da, size_t lda, size_t ldd, size_t rows,
                                                         size_t panels, const float *dot, float scale)
{
    const VFLOAT s = VF(set1)(scale);
    size_t i, j;
    for (i = 0; i < rows; i++, a += lda, da += ldd)
        for (j = 0; j < 16 * panels; j += VL)
            VF(storeu)(da + j, VF(mul)(VF(mul)(VF(loadu)(a + j), s), VF(sub)(VF(loadu)(da + j), VF(loadu)(dot + j))));
}

// y <- ReLU(x gain + bias), to the bit what layernorm made of x = hat
LOCUSI_TARGET static void LOCUSI_NAME(affine_relu)(const float *x, size_t ldx, size_t rows, size_t panels,
                                                   const float *gain, const float *bias, float *y)
{
    size_t i, j;
    for (i = 0; i < rows; i++, x += ldx, y += ldx)
        for (j = 0; j < 16 * panels; j += VL) VF(storeu)
    (y + j, VF(max)(VF(fmadd)(VF(loadu)(x + j), VF(loadu)(gain + j), VF(loadu)(bias + j)), VF(set1)(0.0f)));
}

// dx <- 0 where the ReLU's output y is 0
LOCUSI_TARGET static void LOCUSI_NAME(relu_back)(float *dx, size_t ldx, const float *y, size_t ldy, size_t rows,
                                                 size_t panels)
{
    size_t i, j;
    for (i = 0; i < rows; i++, dx += ldx, y += ldy)
        for (j = 0; j < 16 * panels; j += VL)
            VF(storeu)(dx + j, LOCUSI_NAME(where_positive)(VF(loadu)(y + j), VF(loadu)(dx + j)));
}

// sum [16 * panels] += the rows of x
LOCUSI_TARGET static void LOCUSI_NAME(add_rows)(const float *x, size_t ldx, size_t rows, size_t panels, float *sum)
{
    size_t i, j;
    for (j = 0; j < 16 * panels; j += VL) {
        VFLOAT s = VF(loadu)(sum + j);
        for (i = 0; i < rows; i++) s = VF(add)(s, VF(loadu)(x + i * ldx + j));
        VF(storeu)(sum + j, s);
    }
}

// AdamW as PyTorch defines it (decoupled weight decay, then the step); n a multiple of 16
LOCUSI_TARGET static void LOCUSI_NAME(adam)(const locusi_adam *o, float *theta, const float *gradient, float *m,
                                            float *v, size_t n)
{
    const VFLOAT beta1 = VF(set1)(o->beta1), beta2 = VF(set1)(o->beta2), one1 = VF(set1)(1.0f - o->beta1),
                 one2 = VF(set1)(1.0f - o->beta2), clip = VF(set1)(o->clip), keep = VF(set1)(o->keep),
                 step = VF(set1)(o->step), root = VF(set1)(o->root), epsilon = VF(set1)(o->epsilon);
    size_t j;
    for (j = 0; j < n; j += VL) {
        const VFLOAT g = VF(mul)(VF(loadu)(gradient + j), clip);
        const VFLOAT m1 = VF(fmadd)(beta1, VF(loadu)(m + j), VF(mul)(one1, g));
        const VFLOAT v1 = VF(fmadd)(beta2, VF(loadu)(v + j), VF(mul)(VF(mul)(one2, g), g));
        const VFLOAT down = VF(add)(VF(mul)(VF(sqrt)(v1), root), epsilon);
        VF(storeu)(m + j, m1);
        VF(storeu)(v + j, v1);
        VF(storeu)(theta + j, VF(sub)(VF(mul)(VF(loadu)(theta + j), keep), VF(div)(VF(mul)(step, m1), down)));
    }
}
#endif // LOCUS_NO_TRAIN

static const locusi_kernels LOCUSI_NAME(kernels) = {LOCUSI_KERNEL_LIST(LOCUSI_ENTRY)};

#undef LOCUSI_NAME
#undef LOCUSI_TARGET
#undef LOCUSI_ROWS
#undef LOCUSI_SUMS
#undef VL
#undef VDL
#undef VF
#undef VD
#undef VFLOAT
#undef VDOUBLE
#undef VSUM
#undef VSUM_START
#undef VSUM_ADD
#endif // LOCUSI_KERNEL_PASS

#if defined(LOCUS_IMPLEMENTATION) && !defined(LOCUSI_IMPLEMENTED) && !defined(LOCUSI_KERNEL_PASS) &&                   \
    !defined(LOCUS_INFERENCE_ONLY)

// ---------------------------------------------------------------------------------------------------- >>vocabulary
//
// For each instruction set, beside its intrinsics:
//     nearest         integers next to these             pow2            2^n of integers n
//     where_positive  x where y > 0, else 0              total, most     of a vector's floats
//     odd             the mantissas' last bit set        store_doubles   floats as doubles
// VSUM: the accumulators of an exact sum, which sum_finish adds to 64-bit integers.

#define LOCUSI_KERNEL_PASS
#ifndef LOCUS_HEADER
#define LOCUS_HEADER "locus.h"
#endif
#define LOCUSI_MAGIC 6755399441055744.0 // 1.5 * 2^52
#define LOCUSI_MAGIC_BITS 0x4338000000000000

static LOCUSI_INLINE int64_t locusi_bits(double x)
{
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

// ---- scalar: vectors of one
#define LOCUSI_ONE_loadu(p) (*(p))
#define LOCUSI_ONE_storeu(p, v) (*(p) = (v))
#define LOCUSI_ONE_set1(x) (x)
#define LOCUSI_ONE_add(a, b) ((a) + (b))
#define LOCUSI_ONE_sub(a, b) ((a) - (b))
#define LOCUSI_ONE_mul(a, b) ((a) * (b))
#define LOCUSI_ONE_div(a, b) ((a) / (b))
#define LOCUSI_ONE_fmadd(a, b, c) ((a) * (b) + (c))
#define LOCUSI_ONE_min(a, b) ((a) < (b) ? (a) : (b))
#define LOCUSI_ONE_max(a, b) ((a) > (b) ? (a) : (b))
#define LOCUSI_ONE_sqrt(a) sqrtf(a)

// Round to nearest by adding 1.5 * 2^23; the detour through memory keeps excess precision and fast-math out.
static LOCUSI_INLINE float locusi_nearest_scalar(float x)
{
    volatile float y = x + 12582912.0f;
    return y - 12582912.0f;
}
static LOCUSI_INLINE float locusi_pow2_scalar(float n) { return locusi_f32_from((uint32_t)((int32_t)n + 127) << 23); }
static LOCUSI_INLINE float locusi_where_positive_scalar(float y, float x) { return y > 0.0f ? x : 0.0f; }
static LOCUSI_INLINE float locusi_total_scalar(float v) { return v; }
static LOCUSI_INLINE float locusi_most_scalar(float v) { return v; }
static LOCUSI_INLINE float locusi_odd_scalar(float x) { return locusi_f32_from(locusi_f32_bits(x) | 1u); }
static LOCUSI_INLINE void locusi_store_doubles_scalar(double *p, float v) { *p = (double)v; }
static LOCUSI_INLINE void locusi_sum_finish_scalar(int64_t *to, uint64_t sum) { *to = (int64_t)((uint64_t)*to + sum); }
#define LOCUSI_NAME(x) locusi_##x##_scalar
#define LOCUSI_TARGET
#define LOCUSI_ROWS 4
#define LOCUSI_SUMS 4
#define VL 1
#define VDL 1
#define VFLOAT float
#define VDOUBLE double
#define VSUM uint64_t // there is no fused multiply-add: each rounded product is taken out of its bits and added
#define VSUM_START 0
#define VSUM_ADD(sum, p, v) ((sum) + (uint64_t)(locusi_bits((p) * (v) + LOCUSI_MAGIC) - LOCUSI_MAGIC_BITS))
#define VF(op) LOCUSI_ONE_##op
#define VD(op) LOCUSI_ONE_##op
#include LOCUS_HEADER

#if LOCUSI_X86
#if defined(__GNUC__) && !defined(__clang__) // GCC's own AVX-512 header trips over these (its bug 105593)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion" // and at -O0, where its functions are macros
#pragma GCC diagnostic ignored "-Wconversion"
#endif
#if defined(_MSC_VER) && !defined(__clang__)
#define LOCUSI_AVX2
#define LOCUSI_AVX512
#else
#define LOCUSI_AVX2 __attribute__((target("avx2,fma")))
#define LOCUSI_AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")))
#endif
// ---- AVX2 and FMA: vectors of 8
LOCUSI_AVX2 static LOCUSI_INLINE __m256 locusi_nearest_avx2(__m256 v)
{
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
LOCUSI_AVX2 static LOCUSI_INLINE __m256 locusi_pow2_avx2(__m256 n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}
LOCUSI_AVX2 static LOCUSI_INLINE __m256 locusi_where_positive_avx2(__m256 y, __m256 x)
{
    return _mm256_and_ps(_mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_GT_OQ), x);
}
#define LOCUSI_REDUCE(name, op)                                                                                        \
    LOCUSI_AVX2 static LOCUSI_INLINE float locusi_##name##_avx2(__m256 v)                                              \
    {                                                                                                                  \
        __m128 a = _mm_##op##_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));                              \
        a = _mm_##op##_ps(a, _mm_movehl_ps(a, a));                                                                     \
        return _mm_cvtss_f32(_mm_##op##_ss(a, _mm_movehdup_ps(a)));                                                    \
    }
LOCUSI_REDUCE(total, add)
LOCUSI_REDUCE(most, max)
LOCUSI_AVX2 static LOCUSI_INLINE __m256 locusi_odd_avx2(__m256 v)
{
    return _mm256_or_ps(v, _mm256_castsi256_ps(_mm256_set1_epi32(1)));
}
LOCUSI_AVX2 static LOCUSI_INLINE void locusi_store_doubles_avx2(double *p, __m256 v)
{
    _mm256_storeu_pd(p, _mm256_cvtps_pd(_mm256_castps256_ps128(v)));
    _mm256_storeu_pd(p + 4, _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)));
}
LOCUSI_AVX2 static LOCUSI_INLINE void locusi_sum_finish_avx2(int64_t *to, __m256d sum)
{
    const __m256i rounded = _mm256_sub_epi64(_mm256_castpd_si256(sum), _mm256_set1_epi64x(LOCUSI_MAGIC_BITS));
    __m256i *at = (__m256i *)(void *)to;
    _mm256_storeu_si256(at, _mm256_add_epi64(_mm256_loadu_si256(at), rounded));
}
#define LOCUSI_NAME(x) locusi_##x##_avx2
#define LOCUSI_TARGET LOCUSI_AVX2
#define LOCUSI_ROWS 6
#define LOCUSI_SUMS 4
#define VL 8
#define VDL 4
#define VFLOAT __m256
#define VDOUBLE __m256d
#define VSUM __m256d
#define VSUM_START _mm256_set1_pd(LOCUSI_MAGIC)
#define VSUM_ADD(sum, p, v) _mm256_fmadd_pd(p, v, sum)
#define VF(op) _mm256_##op##_ps
#define VD(op) _mm256_##op##_pd
#include LOCUS_HEADER

// ---- AVX-512: vectors of 16
LOCUSI_AVX512 static LOCUSI_INLINE __m512 locusi_nearest_avx512(__m512 v) { return _mm512_roundscale_ps(v, 0); }
LOCUSI_AVX512 static LOCUSI_INLINE __m512 locusi_pow2_avx512(__m512 n)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
}
LOCUSI_AVX512 static LOCUSI_INLINE __m512 locusi_where_positive_avx512(__m512 y, __m512 x)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_GT_OQ), x);
}
LOCUSI_AVX512 static LOCUSI_INLINE float locusi_total_avx512(__m512 v) { return _mm512_reduce_add_ps(v); }
LOCUSI_AVX512 static LOCUSI_INLINE float locusi_most_avx512(__m512 v) { return _mm512_reduce_max_ps(v); }
LOCUSI_AVX512 static LOCUSI_INLINE __m512 locusi_odd_avx512(__m512 v)
{
    return _mm512_or_ps(v, _mm512_castsi512_ps(_mm512_set1_epi32(1)));
}
LOCUSI_AVX512 static LOCUSI_INLINE void locusi_store_doubles_avx512(double *p, __m512 v)
{
    _mm512_storeu_pd(p, _mm512_cvtps_pd(_mm512_castps512_ps256(v)));
    _mm512_storeu_pd(p + 8, _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)));
}
LOCUSI_AVX512 static LOCUSI_INLINE void locusi_sum_finish_avx512(int64_t *to, __m512d sum)
{
    const __m512i rounded = _mm512_sub_epi64(_mm512_castpd_si512(sum), _mm512_set1_epi64(LOCUSI_MAGIC_BITS));
    _mm512_storeu_si512((void *)to, _mm512_add_epi64(_mm512_loadu_si512((const void *)to), rounded));
}
#define LOCUSI_NAME(x) locusi_##x##_avx512
#define LOCUSI_TARGET LOCUSI_AVX512
#define LOCUSI_ROWS 12
#define LOCUSI_SUMS 8
#define VL 16
#define VDL 8
#define VFLOAT __m512
#define VDOUBLE __m512d
#define VSUM __m512d
#define VSUM_START _mm512_set1_pd(LOCUSI_MAGIC)
#define VSUM_ADD(sum, p, v) _mm512_fmadd_pd(p, v, sum)
#define VF(op) _mm512_##op##_ps
#define VD(op) _mm512_##op##_pd
#include LOCUS_HEADER
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif // LOCUSI_X86

#if LOCUSI_ARM64
// ---- NEON: vectors of 4; every AArch64 processor has it
#define LOCUSI_NEON_loadu(type) vld1q_##type
#define LOCUSI_NEON_storeu(type) vst1q_##type
#define LOCUSI_NEON_set1(type) vdupq_n_##type
#define LOCUSI_NEON_add(type) vaddq_##type
#define LOCUSI_NEON_sub(type) vsubq_##type
#define LOCUSI_NEON_mul(type) vmulq_##type
#define LOCUSI_NEON_div(type) vdivq_##type
#define LOCUSI_NEON_min(type) vminq_##type
#define LOCUSI_NEON_max(type) vmaxq_##type
#define LOCUSI_NEON_sqrt(type) vsqrtq_##type
#define LOCUSI_NEON_fmadd(type) locusi_fmadd_neon
static LOCUSI_INLINE float32x4_t locusi_fmadd_neon(float32x4_t a, float32x4_t b, float32x4_t c)
{
    return vfmaq_f32(c, a, b);
}
static LOCUSI_INLINE float32x4_t locusi_nearest_neon(float32x4_t v) { return vrndnq_f32(v); }
static LOCUSI_INLINE float32x4_t locusi_pow2_neon(float32x4_t n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23));
}
static LOCUSI_INLINE float32x4_t locusi_where_positive_neon(float32x4_t y, float32x4_t x)
{
    return vreinterpretq_f32_u32(vandq_u32(vcgtzq_f32(y), vreinterpretq_u32_f32(x)));
}
static LOCUSI_INLINE float locusi_total_neon(float32x4_t v) { return vaddvq_f32(v); }
static LOCUSI_INLINE float locusi_most_neon(float32x4_t v) { return vmaxvq_f32(v); }
static LOCUSI_INLINE float32x4_t locusi_odd_neon(float32x4_t v)
{
    return vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(v), vdupq_n_u32(1)));
}
static LOCUSI_INLINE void locusi_store_doubles_neon(double *p, float32x4_t v)
{
    vst1q_f64(p, vcvt_f64_f32(vget_low_f32(v)));
    vst1q_f64(p + 2, vcvt_high_f64_f32(v));
}
static LOCUSI_INLINE void locusi_sum_finish_neon(int64_t *to, float64x2_t sum)
{
    const int64x2_t rounded = vsubq_s64(vreinterpretq_s64_f64(sum), vdupq_n_s64(LOCUSI_MAGIC_BITS));
    vst1q_s64(to, vaddq_s64(vld1q_s64(to), rounded));
}
#define LOCUSI_NAME(x) locusi_##x##_neon
#define LOCUSI_TARGET
#define LOCUSI_ROWS 12
#define LOCUSI_SUMS 8
#define VL 4
#define VDL 2
#define VFLOAT float32x4_t
#define VDOUBLE float64x2_t
#define VSUM float64x2_t
#define VSUM_START vdupq_n_f64(LOCUSI_MAGIC)
#define VSUM_ADD(sum, p, v) vfmaq_f64(sum, p, v)
#define VF(op) LOCUSI_NEON_##op(f32)
#define VD(op) LOCUSI_NEON_##op(f64)
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
    int i;
    if (*isa == LOCUS_ISA_AUTO) {
        for (i = LOCUS_ISA_COUNT - 1; !locus_isa_supported((locus_isa)i);) i--;
        *isa = (locus_isa)i;
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
#if defined(__GNUC__) || defined(__clang__)
#define LOCUSI_ATOMIC 1
#else
#define LOCUSI_ATOMIC 0
#endif

// Work items are handed out by a shared counter; where the compiler has no atomics, worker w takes w, w + workers, ...
typedef struct locusi_counter {
    size_t next, workers;
} locusi_counter;

// Flags only go up while several threads look at them.
#if LOCUSI_ATOMIC
LOCUSI_FN size_t locusi_next(locusi_counter *counter, size_t worker, size_t *mine)
{
    (void)worker, (void)mine;
    return __atomic_fetch_add(&counter->next, (size_t)1, __ATOMIC_RELAXED);
}
LOCUSI_FN void locusi_set_flag(int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELAXED); }
LOCUSI_FN int locusi_get_flag(const int *flag) { return __atomic_load_n(flag, __ATOMIC_RELAXED); }
#else
LOCUSI_FN size_t locusi_next(locusi_counter *counter, size_t worker, size_t *mine)
{
    return worker + counter->workers * (*mine)++;
}
LOCUSI_FN void locusi_set_flag(int *flag) { *(volatile int *)flag = 1; }
LOCUSI_FN int locusi_get_flag(const int *flag) { return *(const volatile int *)flag; }
#endif

LOCUSI_FN size_t locusi_workers(const locus_parallel *parallel)
{
    return parallel && parallel->run && parallel->threads > 1 ? parallel->threads : 1;
}

// Those that have buffers of their own: 64 at most.
LOCUSI_FN size_t locusi_run_workers(const locus_run *run)
{
    const size_t workers = locusi_workers(run ? run->parallel : NULL);
    return workers < 64 ? workers : 64;
}

LOCUSI_FN void locusi_run(const locus_parallel *parallel, void (*task)(void *arg, size_t worker), void *arg,
                          size_t count)
{
    if (count == 1) task(arg, 0);
    else parallel->run(parallel->user, task, arg, count);
}

typedef struct locusi_items {
    void (*item)(void *arg, size_t worker, size_t item);
    void *arg;
    size_t first, count;
    locusi_counter counter;
} locusi_items;

LOCUSI_FN void locusi_items_work(void *arg, size_t worker)
{
    locusi_items *all = (locusi_items *)arg;
    size_t i, mine = 0;
    while ((i = locusi_next(&all->counter, worker, &mine)) < all->count) all->item(all->arg, worker, all->first + i);
}

LOCUSI_FN locus_status locusi_report(const locus_run *run, size_t done, size_t total, locus_error *err)
{
    if (!run || !run->progress || !run->progress(run->user, done, total)) return LOCUS_OK;
    return locusi_fail(err, LOCUS_ERR_CANCELLED, "progress", "", "%z of %z", done, total);
}

// item(arg, ...) for first .. first + count - 1, each by whichever worker comes
LOCUSI_FN void locusi_each(const locus_run *run, size_t workers, size_t first, size_t count,
                           void (*item)(void *arg, size_t worker, size_t item), void *arg)
{
    locusi_items all;
    all.item = item;
    all.arg = arg;
    all.first = first;
    all.count = count;
    all.counter.next = 0;
    all.counter.workers = workers;
    locusi_run(run ? run->parallel : NULL, locusi_items_work, &all, workers);
}

#if LOCUSI_PTHREADS
typedef struct locusi_threads {
    locus_parallel parallel; // first: what the user has a pointer to
    pthread_mutex_t mutex;
    pthread_cond_t wake, done;
    void (*task)(void *arg, size_t index);
    void *arg;
    size_t next, count, running, generation;
    int quit;
    pthread_t *ids;
} locusi_threads;

// Take indices until none is left; called and left with the mutex held.
LOCUSI_FN void locusi_threads_work(locusi_threads *t)
{
    t->running++;
    while (t->next < t->count) {
        const size_t index = t->next++;
        pthread_mutex_unlock(&t->mutex);
        t->task(t->arg, index);
        pthread_mutex_lock(&t->mutex);
    }
    if (--t->running == 0) pthread_cond_signal(&t->done);
}

LOCUSI_FN void *locusi_threads_main(void *arg)
{
    locusi_threads *t = (locusi_threads *)arg;
    size_t seen = 0;
    pthread_mutex_lock(&t->mutex);
    while (!t->quit) {
        if (t->generation == seen) {
            pthread_cond_wait(&t->wake, &t->mutex);
            continue;
        }
        seen = t->generation;
        locusi_threads_work(t);
    }
    pthread_mutex_unlock(&t->mutex);
    return NULL;
}

LOCUSI_FN void locusi_threads_run(void *user, void (*task)(void *arg, size_t index), void *arg, size_t count)
{
    locusi_threads *t = (locusi_threads *)user;
    pthread_mutex_lock(&t->mutex);
    t->task = task;
    t->arg = arg;
    t->next = 0;
    t->count = count;
    t->generation++;
    pthread_cond_broadcast(&t->wake);
    locusi_threads_work(t);
    while (t->running) pthread_cond_wait(&t->done, &t->mutex);
    t->count = 0;
    pthread_mutex_unlock(&t->mutex);
}

LOCUS_API locus_status locus_threads_create(const locus_parallel **out, size_t count, locus_error *err)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    locusi_threads *t;
    size_t bytes;
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    *out = NULL;
    if (count == 0) count = online > 0 ? (size_t)online : 1;
    if (count > 1024) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "count", "at most 1024 threads", "%z", count);
    bytes = sizeof(locusi_threads) + count * sizeof(pthread_t);
    t = (locusi_threads *)LOCUS_MALLOC(bytes);
    if (!t) return locusi_fail(err, LOCUS_ERR_MEMORY, "threads", "%z bytes", "none", bytes);
    memset(t, 0, bytes);
    t->parallel.threads = 1;
    t->parallel.run = locusi_threads_run;
    t->parallel.user = t;
    t->ids = (pthread_t *)(void *)(t + 1);
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->wake, NULL);
    pthread_cond_init(&t->done, NULL);
    for (; t->parallel.threads < count; t->parallel.threads++)
        if (pthread_create(&t->ids[t->parallel.threads - 1], NULL, locusi_threads_main, t)) {
            const size_t have = t->parallel.threads;
            locus_threads_destroy(&t->parallel);
            return locusi_fail(err, LOCUS_ERR_MEMORY, "threads", "%z threads", "%z", count, have);
        }
    *out = &t->parallel;
    return LOCUS_OK;
}

LOCUS_API void locus_threads_destroy(const locus_parallel *threads)
{
    locusi_threads *t = threads ? (locusi_threads *)threads->user : NULL;
    size_t i;
    if (!t) return;
    pthread_mutex_lock(&t->mutex);
    t->quit = 1;
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->mutex);
    for (i = 1; i < t->parallel.threads; i++) pthread_join(t->ids[i - 1], NULL);
    pthread_cond_destroy(&t->done);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->mutex);
    LOCUS_FREE(t);
}
#elif !defined(LOCUS_NO_THREADS)
LOCUS_API locus_status locus_threads_create(const locus_parallel **out, size_t count, locus_error *err)
{
    (void)count;
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "a pointer", "NULL");
    *out = NULL;
    return LOCUS_OK;
}

LOCUS_API void locus_threads_destroy(const locus_parallel *threads) { (void)threads; }
#endif

// ---- names of text encoders

enum { LOCUSI_TEXT_PROBES = 3 };
static const char *const locusi_text_probes[LOCUSI_TEXT_PROBES] = {
    "What is the derivative of x^2 + 3x with respect to x?\nOptions:\n(A) 2x + 3\n(B) x + 3\n(C) 2x\n(D) 3",
    "Which of the following best describes the holding of the court in a case of negligence?",
    "Erkl\xc3\xa4re quantum \xe2\x80\x9e\xe9\x87\x8f\xe5\xad\x90\xe2\x80\x9c: 12345 \xd0\x9a\xd0\xbe\xd1\x82"};

LOCUSI_FN uint64_t locusi_text_fingerprint(const locus_text *encoder)
{
    uint64_t h = locusi_text_feed(locusi_text_basis, (uint32_t)encoder->dim);
    int64_t sum[LOCUS_TEXT_MAX_DIM];
    unsigned char seen[LOCUS_TEXT_MAX_ROWS / 8 + 1];
    locusi_text_sum s;
    size_t i, k;
    s.encoder = encoder;
    s.sum = sum;
    s.seen = seen;
    for (k = 0; k < LOCUSI_TEXT_PROBES; k++) {
        locusi_text_encode(&s, locusi_text_probes[k], strlen(locusi_text_probes[k]));
        for (i = 0; i < encoder->dim; i++) h = locusi_text_feed(h, (uint32_t)(uint64_t)s.sum[i]);
    }
    return locusi_mix(h);
}

#define LOCUSI_TEXT_NAME "locus-text-1/"

static const struct {
    const char *name, *dtype;
    size_t rank;
} locusi_text_parts[3] = {{"text.keys", "U32", 1}, {"text.weights", "U16", 1}, {"text.table", "I8", 2}};

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
// A net's weights are packed for the kernels. Padded sizes (…p) are multiples of 16; each head's columns start at a
// multiple of 16 ("head layout": heads * dhp columns, zero between).

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
    locusi_work home;                                                 // what all of it stands in
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
    // predictor
    float *u, *u_bias;    // packed [q -> dp], [dp]
    float *hz, *hu, *hzu; // packed [d -> gp]: the three parts of mlp_head.0
    float *h_bias, *last; // [gp]
    float last_bias;
    char query_encoder[96];
    locus_text text;
};

static LOCUSI_INLINE size_t locusi_pad(size_t n) { return (n + 15) / 16 * 16; }

// Place of weight (output `out`, input `in`) in packed weights [depth -> outputs]: panels of 16 outputs, see >>kernels.
static LOCUSI_INLINE size_t locusi_packed(size_t out, size_t in, size_t depth)
{
    return out / 16 * 16 * depth + 16 * in + out % 16;
}

// ---- what a net's file must hold

enum { LOCUSI_DECODER_TENSORS = 6, LOCUSI_TEXT_TENSORS = 3 };

LOCUSI_FN locus_status locusi_check_tensor(const locus_safetensors *st, const locusi_spec *spec,
                                           const locus_tensor **out, locus_error *err)
{
    const locus_tensor *t = locus_safetensors_find(st, spec->name);
    size_t i;
    int fits;
    if (!t) return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "this tensor", "none", spec->name);
    for (i = 0; i < spec->rank && t->rank == spec->rank && t->shape[i] == spec->shape[i]; i++) {}
    if (i < spec->rank) {
        char want[64], have[64];
        locusi_shape_text(want, sizeof want, spec->rank, spec->shape);
        locusi_shape_text(have, sizeof have, t->rank, t->shape);
        return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "%s", "%s", spec->name, want, have);
    }
    if (!spec->dtype) fits = t->dtype == LOCUS_F32 || t->dtype == LOCUS_F16 || t->dtype == LOCUS_BF16;
    else fits = !strcmp(t->dtype_name, spec->dtype) || (!strcmp(spec->dtype, "F64") && t->dtype == LOCUS_F32);
    if (!fits)
        return locusi_fail(err, LOCUS_ERR_UNSUPPORTED, "%s", "%s", "%s", spec->name,
                           spec->dtype ? spec->dtype : "F32, F16 or BF16", t->dtype_name);
    *out = t;
    return LOCUS_OK;
}

LOCUSI_FN int locusi_starts(const char *s, const char *prefix) { return strncmp(s, prefix, strlen(prefix)) == 0; }

LOCUSI_FN size_t locusi_encoder_tensors(const locus_net *net) // 0: the file has no encoder
{
    return locusi_encoder_size(net->layers, net->info.encoder_kind == LOCUS_SAB);
}

// "decoder.mlp_head.3" where the net was trained with dropout, else "decoder.mlp_head.2"
LOCUSI_FN const char *locusi_last_name(const locus_safetensors *st)
{
    return locus_safetensors_find(st, "decoder.mlp_head.3.weight") ? "decoder.mlp_head.3" : "decoder.mlp_head.2";
}

// Tensor i of all, in one fixed order: the encoder's, then the predictor's, then the text encoder's. last: of
// locusi_last_name.
LOCUSI_FN void locusi_spec_at(const locus_net *net, size_t i, const char *last, locusi_spec *spec)
{
    static const locusi_shape shapes[LOCUSI_DECODER_TENSORS + LOCUSI_TEXT_TENSORS] = {
        {"decoder.U.weight", NULL, "dq"},
        {"decoder.U.bias", NULL, "d"},
        {"decoder.mlp_head.0.weight", NULL, "gc"},
        {"decoder.mlp_head.0.bias", NULL, "g"},
        {".weight", NULL, "1g"},
        {".bias", NULL, "1"},
        {"text.keys", "U32", "k"},
        {"text.weights", "U16", "k"},
        {"text.table", "I8", "kq"}};
    const size_t encoder = locusi_encoder_tensors(net);
    locusi_sizes sizes;
    locusi_encoder_sizes(sizes, net->q, net->d, net->r);
    sizes[+'q'] = net->q, sizes[+'g'] = net->g;
    sizes[+'c'] = 3 * net->d; // z, u and z * u
    sizes[+'k'] = net->text.rows;
    if (i < encoder) locusi_encoder_spec(sizes, net->layers, net->info.encoder_kind == LOCUS_SAB, i, spec);
    else locusi_spec_set(spec, shapes[i - encoder].name[0] == '.' ? last : "", &shapes[i - encoder], sizes);
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

// The name of the query encoder, and the size of its table if it is a text encoder (see >>text). present: the file has
// text.* tensors.
LOCUSI_FN locus_status locusi_text_sizes(locus_net *net, const locus_safetensors *st, int present, locus_error *err)
{
    const char *name = locus_safetensors_meta(st, "query_encoder");
    size_t dim;
    locus_status status;
    if (locus_safetensors_meta(st, "query_encoder_dim") &&
        (status = locusi_hyper(st, "query_encoder_dim", net->q, net->q, &dim, err)))
        return status;
    if (name && strlen(name) >= sizeof net->query_encoder)
        return locusi_fail(err, LOCUS_ERR_METADATA, "query_encoder", "at most %z bytes", "%z",
                           sizeof net->query_encoder - 1, strlen(name));
    if (name) memcpy(net->query_encoder, name, strlen(name) + 1);
    if (!locusi_starts(net->query_encoder, LOCUSI_TEXT_NAME)) {
        if (!present) return LOCUS_OK;
        return locusi_fail(err, LOCUS_ERR_METADATA, "query_encoder",
                           "\"" LOCUSI_TEXT_NAME "...\", as there are text.* tensors", "\"%s\"", net->query_encoder);
    }
    net->text.dim = net->q;
    if (net->q > LOCUS_TEXT_MAX_DIM)
        return locusi_fail(err, LOCUS_ERR_METADATA, "q_dim", "at most %z with a text encoder", "%z",
                           (size_t)LOCUS_TEXT_MAX_DIM, net->q);
    if (!present) return LOCUS_OK; // table-free
    net->text.rows = 1;
    if (locus_safetensors_find(st, "text.keys")) net->text.rows = locusi_dim(st, "text.keys", 1, 0);
    if (net->text.rows < 1 || net->text.rows > LOCUS_TEXT_MAX_ROWS)
        return locusi_fail(err, LOCUS_ERR_TENSOR, "text.keys", "[1] to [%z]", "[%z] or another rank",
                           (size_t)LOCUS_TEXT_MAX_ROWS, net->text.rows);
    return LOCUS_OK;
}

LOCUSI_FN void locusi_net_pad(locus_net *net)
{
    net->dp = locusi_pad(net->d);
    net->dhp = locusi_pad(net->dh);
    net->hp = net->heads * net->dhp;
    net->rp = locusi_pad(net->r);
    net->fp = locusi_pad(net->f);
    net->gp = locusi_pad(net->g);
}

// Sizes, from metadata and shapes; then every tensor is checked and no other may be there.
LOCUSI_FN locus_status locusi_net_sizes(locus_net *net, const locus_safetensors *st, locus_error *err)
{
    const size_t most = 1u << 20;
    size_t i, j, count = 0, expected, layers = 0;
    int text = 0;
    const char *kind = locus_safetensors_meta(st, "encoder_kind"), *last = locusi_last_name(st);
    const locus_tensor *t;
    locusi_spec spec;
    locus_status status;
    memset(net, 0, sizeof *net);
    for (i = 0; i < st->tensor_count; i++) {
        const char *name = st->tensors[i].name;
        if (locusi_starts(name, "pool.") || locusi_starts(name, "memory.")) continue; // the pool looks at them
        count++;
        text |= locusi_starts(name, "text.");
        if (locusi_starts(name, "encoder.")) {
            size_t layer = 0;
            net->info.has_encoder = 1;
            if (!locusi_starts(name, "encoder.layers.")) continue;
            for (name += 15; *name >= '0' && *name <= '9' && layer <= most; name++)
                layer = layer * 10 + (size_t)(*name - '0');
            if (layer < most && layer + 1 > layers) layers = layer + 1;
        }
    }
    if (!locus_safetensors_find(st, "decoder.U.weight"))
        return locusi_fail(err, LOCUS_ERR_TENSOR, "decoder.U.weight", "this tensor", "none");
    if ((status = locusi_hyper(st, "q_dim", locusi_dim(st, "decoder.U.weight", 2, 1), most, &net->q, err)) ||
        (status = locusi_hyper(st, "z_dim", locusi_dim(st, "decoder.U.weight", 2, 0), most, &net->d, err)) ||
        (status =
             locusi_hyper(st, "decoder_hidden", locusi_dim(st, "decoder.mlp_head.0.weight", 2, 0), most, &net->g, err)))
        return status;
    net->f = 2 * net->d;
    net->heads = 1;
    if (net->info.has_encoder) {
        if (kind && strcmp(kind, "isab") && strcmp(kind, "sab"))
            return locusi_fail(err, LOCUS_ERR_METADATA, "encoder_kind", "isab or sab", "\"%s\"", kind);
        if (kind ? !strcmp(kind, "sab") : !locus_safetensors_find(st, "encoder.layers.0.I"))
            net->info.encoder_kind = LOCUS_SAB;
        if (locus_safetensors_meta(st, "n_layers")) layers = 0;
        if ((status = locusi_hyper(st, "n_heads", 0, most, &net->heads, err)) ||
            (status = locusi_hyper(st, "n_layers", layers, 64, &net->layers, err)))
            return status;
        if (net->info.encoder_kind == LOCUS_ISAB &&
            (status = locusi_hyper(st, "m_induce", locusi_dim(st, "encoder.layers.0.I", 3, 1), most, &net->r, err)))
            return status;
        if (net->d % net->heads)
            return locusi_fail(err, LOCUS_ERR_METADATA, "n_heads", "a divisor of z_dim = %z", "%z", net->d, net->heads);
    }
    net->dh = net->d / net->heads;
    if ((status = locusi_text_sizes(net, st, text, err))) return status;
    expected = locusi_encoder_tensors(net) + LOCUSI_DECODER_TENSORS + (net->text.rows ? LOCUSI_TEXT_TENSORS : 0);
    for (i = 0; i < expected; i++) {
        locusi_spec_at(net, i, last, &spec);
        if ((status = locusi_check_tensor(st, &spec, &t, err))) return status;
    }
    for (j = 0; count > expected && j < st->tensor_count; j++) { // name the first that no place asks for
        const char *name = st->tensors[j].name;
        int known = locusi_starts(name, "pool.") || locusi_starts(name, "memory.");
        for (i = 0; !known && i < expected; i++) {
            locusi_spec_at(net, i, last, &spec);
            known = !strcmp(spec.name, name);
        }
        if (!known) return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "no such tensor", "this", name);
    }
    if (locus_safetensors_meta(st, "memory_weight")) {
        if ((status = locusi_hyper(st, "memory_weight", 0, 100, &i, err))) return status;
        net->info.recall_weight = (double)i / 100.0;
    }
    net->info.q_dim = net->q;
    net->info.z_dim = net->d;
    net->info.n_heads = net->info.has_encoder ? net->heads : 0;
    net->info.n_layers = net->layers;
    net->info.m_induce = net->r;
    net->info.decoder_hidden = net->g;
    locusi_net_pad(net);
    return LOCUS_OK;
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
    locus_status status;
    for (at = 0; at < t->count; at += n) {
        n = t->count - at < 1024 ? t->count - at : 1024;
        if ((status = locus_tensor_to_f32(t, at, n, chunk, err))) return status;
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

// Metadata of 16 hex digits; *hash stays as it is where there is none.
LOCUSI_FN locus_status locusi_stored_hash(const locus_safetensors *st, const char *key, uint64_t *hash,
                                          locus_error *err)
{
    const char *text = locus_safetensors_meta(st, key);
    if (text && !locusi_parse_hash(text, strlen(text), hash))
        return locusi_fail(err, LOCUS_ERR_METADATA, key, "16 hex digits", "\"%s\"", text);
    return LOCUS_OK;
}

// The net's hash is made of the two parts' hashes, so that a file with the predictor alone can still prove whose it is.
LOCUSI_FN locus_status locusi_net_hash(locus_net *net, const locus_safetensors *st, locus_error *err)
{
    const size_t in_encoder = locusi_encoder_tensors(net);
    uint64_t encoder = 1, decoder = 2, stored;
    const char *last = locusi_last_name(st);
    locus_status status;
    locusi_spec spec;
    size_t i;
    net->info.parameters = 0;
    for (i = 0; i < in_encoder + LOCUSI_DECODER_TENSORS; i++) {
        const locus_tensor *t;
        locusi_spec_at(net, i, last, &spec);
        t = locus_safetensors_find(st, spec.name);
        if ((status = locusi_hash_tensor(t, i < in_encoder ? &encoder : &decoder, err))) return status;
        net->info.parameters += t->count;
    }
    if (in_encoder) encoder = locusi_mix(encoder ^ (net->heads << 1 | (net->info.encoder_kind == LOCUS_SAB)));
    stored = encoder;
    if ((status = locusi_stored_hash(st, "locus.encoder_hash", &stored, err))) return status;
    if (in_encoder && stored != encoder)
        return locusi_fail(err, LOCUS_ERR_HASH, "locus.encoder_hash", "%x", "%x", encoder, stored);
    net->info.encoder_hash = stored;
    net->info.hash = locusi_mix(stored ^ locusi_mix(decoder));
    stored = net->info.hash;
    if ((status = locusi_stored_hash(st, "locus.net_hash", &stored, err))) return status;
    if (stored != net->info.hash)
        return locusi_fail(err, LOCUS_ERR_HASH, "locus.net_hash", "%x", "%x", net->info.hash, stored);
    return LOCUS_OK;
}

// ---- packing: the file's tensors one after the other, in the fixed order. What is short of memory stays NULL.

typedef struct locusi_packer {
    locus_net *net;
    const locus_safetensors *st;
    const char *last;
    size_t index; // of the tensor
    locusi_work *work;
} locusi_packer;

typedef enum locusi_heads { LOCUSI_PLAIN, LOCUSI_HEADS_OUT, LOCUSI_HEADS_IN } locusi_heads; // what is in head layout

LOCUSI_FN const locus_tensor *locusi_next_tensor(locusi_packer *p)
{
    locusi_spec spec;
    locusi_spec_at(p->net, p->index++, p->last, &spec);
    return locus_safetensors_find(p->st, spec.name);
}

// Where output n of a weight goes, and where input k comes in: plain, or in head layout.
LOCUSI_FN size_t locusi_head_column(const locus_net *net, size_t c) { return c / net->dh * net->dhp + c % net->dh; }

// Columns [first, first + k) of t, packed.
LOCUSI_FN float *locusi_pack(const locusi_packer *p, const locus_tensor *t, size_t first, size_t k, locusi_heads heads)
{
    const locus_net *net = p->net;
    const size_t n = t->shape[0], ld = t->shape[1], depth = heads == LOCUSI_HEADS_IN ? net->hp : k;
    float *out = locusi_take_zeros(p->work, heads == LOCUSI_HEADS_OUT ? net->hp : locusi_pad(n), depth);
    float chunk[16][64], *to[16];
    size_t row, at, i, j, rows, count;
    for (row = 0; out && row < n; row += 16) {
        rows = n - row < 16 ? n - row : 16;
        for (j = 0; j < rows; j++)
            to[j] =
                out + locusi_packed(heads == LOCUSI_HEADS_OUT ? locusi_head_column(net, row + j) : row + j, 0, depth);
        for (at = 0; at < k; at += count) {
            count = k - at < 64 ? k - at : 64;
            for (j = 0; j < rows; j++) locus_tensor_to_f32(t, (row + j) * ld + first + at, count, chunk[j], NULL);
            for (i = 0; i < count; i++) {
                const size_t in = heads == LOCUSI_HEADS_IN ? locusi_head_column(net, at + i) : at + i;
                for (j = 0; j < rows; j++) to[j][16 * in] = chunk[j][i];
            }
        }
    }
    return out;
}

LOCUSI_FN float *locusi_pack_matrix(locusi_packer *p, locusi_heads heads)
{
    const locus_tensor *t = locusi_next_tensor(p);
    return locusi_pack(p, t, 0, t->shape[1], heads);
}

// A vector, or rows, each padded.
LOCUSI_FN float *locusi_pack_vector(locusi_packer *p)
{
    const locus_tensor *t = locusi_next_tensor(p);
    const size_t columns = t->shape[t->rank - 1], rows = t->count / columns;
    float *out = locusi_take_zeros(p->work, rows, locusi_pad(columns));
    size_t i;
    for (i = 0; out && i < rows; i++) locus_tensor_to_f32(t, i * columns, columns, out + i * locusi_pad(columns), NULL);
    return out;
}

LOCUSI_FN void locusi_pack_mab(locusi_packer *p, locusi_mab *m)
{
    m->wq = locusi_pack_matrix(p, LOCUSI_HEADS_OUT);
    m->wk = locusi_pack_matrix(p, LOCUSI_HEADS_OUT);
    m->wv = locusi_pack_matrix(p, LOCUSI_HEADS_OUT);
    m->fc = locusi_pack_matrix(p, LOCUSI_HEADS_IN);
    m->gain0 = locusi_pack_vector(p);
    m->bias0 = locusi_pack_vector(p);
    m->gain1 = locusi_pack_vector(p);
    m->bias1 = locusi_pack_vector(p);
    m->w1 = locusi_pack_matrix(p, LOCUSI_PLAIN);
    m->b1 = locusi_pack_vector(p);
    m->w2 = locusi_pack_matrix(p, LOCUSI_PLAIN);
    m->b2 = locusi_pack_vector(p);
}

// The token of score y is (1-y) T0 + y T1: T0 = (A - C) q + b and T1 = (A + C) q + b + w with the token map's columns
// A (for q), w (for y) and C (for q (2y-1)). Both maps replace the original.
LOCUSI_FN void locusi_pack_token(locusi_packer *p)
{
    locus_net *net = p->net;
    const locus_tensor *t = locusi_next_tensor(p);
    size_t i;
    float w = 0.0f;
    net->token[0] = locusi_pack(p, t, 0, net->q, LOCUSI_PLAIN);
    net->token[1] = locusi_pack(p, t, net->q + 1, net->q, LOCUSI_PLAIN);
    net->token_bias[0] = locusi_pack_vector(p);
    net->token_bias[1] = locusi_take_zeros(p->work, net->dp, 1);
    if (p->work->missing) return;
    for (i = 0; i < net->q * net->dp; i++) {
        const float a = net->token[0][i], c = net->token[1][i];
        net->token[0][i] = a - c;
        net->token[1][i] = a + c;
    }
    for (i = 0; i < net->d; i++) {
        locus_tensor_to_f32(t, i * (2 * net->q + 1) + net->q, 1, &w, NULL);
        net->token_bias[1][i] = net->token_bias[0][i] + w;
    }
}

LOCUSI_FN void locusi_pack_encoder(locusi_packer *p)
{
    locus_net *net = p->net;
    size_t i;
    locusi_layer spare;
    net->no_column = locusi_take_zeros(p->work, net->rp, 1);
    for (i = net->r; net->no_column && i < net->rp; i++) net->no_column[i] = -1e30f;
    locusi_pack_token(p);
    net->layer = (locusi_layer *)locusi_take_zero(p->work, net->layers, sizeof(locusi_layer));
    for (i = 0; i < net->layers; i++) {
        locusi_layer *layer = net->layer ? &net->layer[i] : &spare;
        if (net->info.encoder_kind == LOCUS_ISAB) {
            layer->induce = locusi_pack_vector(p);
            layer->queries = locusi_take_zeros(p->work, net->heads * net->dh, net->rp);
            locusi_pack_mab(p, &layer->mab1);
        }
        locusi_pack_mab(p, &layer->mab2);
    }
    net->pool_seed = locusi_pack_vector(p);
    locusi_pack_mab(p, &net->pool_mab);
    net->pool_queries = locusi_take_zeros(p->work, net->d, locusi_pad(net->heads));
    net->out = locusi_pack_matrix(p, LOCUSI_PLAIN);
    net->out_bias = locusi_pack_vector(p);
}

LOCUSI_FN void locusi_pack_decoder(locusi_packer *p)
{
    locus_net *net = p->net;
    const locus_tensor *t;
    size_t i;
    net->live = locusi_take_zeros(p->work, net->dp, 1);
    for (i = 0; net->live && i < net->d; i++) net->live[i] = 1.0f;
    net->u = locusi_pack_matrix(p, LOCUSI_PLAIN);
    net->u_bias = locusi_pack_vector(p);
    t = locusi_next_tensor(p);
    net->hz = locusi_pack(p, t, 0, net->d, LOCUSI_PLAIN);
    net->hu = locusi_pack(p, t, net->d, net->d, LOCUSI_PLAIN);
    net->hzu = locusi_pack(p, t, 2 * net->d, net->d, LOCUSI_PLAIN);
    net->h_bias = locusi_pack_vector(p);
    net->last = locusi_pack_vector(p);
    locus_tensor_to_f32(locusi_next_tensor(p), 0, 1, &net->last_bias, NULL);
}

LOCUSI_FN void locusi_pack_text(locusi_packer *p)
{
    static const size_t size[3] = {sizeof(uint32_t), sizeof(uint16_t), 1};
    locus_text *text = &p->net->text;
    void *part[3];
    size_t k;
    for (k = 0; k < 3; k++) {
        const locus_tensor *t = locusi_next_tensor(p);
        const size_t count = text->rows * (k == 2 ? text->dim : 1);
        part[k] = locusi_take(p->work, count, size[k]);
        if (part[k]) locusi_copy_le(part[k], t->data, count, size[k]);
    }
    text->keys = (const uint32_t *)part[0];
    text->weights = (const uint16_t *)part[1];
    text->table = (const signed char *)part[2];
}

// The text encoder must be the one of the name.
LOCUSI_FN locus_status locusi_net_check_text(const locus_net *net, locus_error *err)
{
    const uint32_t *keys = net->text.keys;
    char name[LOCUS_TEXT_NAME_BYTES];
    size_t i;
    if (!net->text.dim) return LOCUS_OK;
    for (i = 1; i < net->text.rows; i++)
        if (keys[i - 1] >= keys[i])
            return locusi_fail(err, LOCUS_ERR_FORMAT, "text.keys[%z]", "more than %u, the one before", "%u", i,
                               (uint64_t)keys[i - 1], (uint64_t)keys[i]);
    locus_text_name(&net->text, name, NULL);
    if (strcmp(name, net->query_encoder))
        return locusi_fail(err, LOCUS_ERR_MISMATCH, "query_encoder", "\"%s\", as the text encoder gives it", "\"%s\"",
                           name, net->query_encoder);
    return LOCUS_OK;
}

// ---- products

LOCUSI_FN void locusi_matmul_run(const locusi_kernels *k, const float *a, size_t lda, size_t rows, size_t depth,
                                 const float *b, size_t columns, float *c, size_t ldc, const float *bias,
                                 const float *residual, size_t ldr, int relu)
{
    locusi_matmul m;
    m.a = a, m.lda = lda, m.step = 1, m.rows = rows, m.k = depth;
    m.b = b, m.ldb = 16, m.panel = 16 * depth, m.panels = columns / 16;
    m.c = c, m.ldc = ldc, m.bias = bias, m.residual = residual, m.ldr = ldr, m.relu = relu;
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

// What depends on the encoder's weights alone is computed once: projected inducing vectors, the pooling query's keys,
// bounds. scratch: [max(r, 1), hp].
LOCUSI_FN void locusi_net_prepare(locus_net *net, float *scratch)
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
        locusi_matmul_run(k, layer->induce, net->dp, net->r, net->d, mab->wq, net->hp, scratch, net->hp, NULL, NULL, 0,
                          0);
        locusi_pack_heads(net, scratch, 0, net->r, net->r, scale, layer->queries);
    }
    locusi_matmul_run(k, net->pool_seed, net->dp, 1, net->d, net->pool_mab.wq, net->hp, scratch, net->hp, NULL, NULL, 0,
                      0);
    for (h = 0; h < net->heads; h++)
        for (i = 0; i < net->d; i++) {
            double sum = 0.0;
            for (c = h * net->dhp; c < h * net->dhp + net->dh; c++)
                sum += (double)net->pool_mab.wk[locusi_packed(c, i, net->d)] * (double)scratch[c];
            net->pool_queries[locusi_packed(h, i, net->d)] = (float)((double)scale * sum);
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

// ---- nets

LOCUS_API void locus_net_destroy(locus_net *net)
{
    if (net) {
        locusi_work home = net->home; // the net stands in it
        locusi_work_end(&home);
    }
}

LOCUS_API locus_status locus_net_create(locus_net **out, const locus_safetensors *st, const locus_run *run,
                                        locus_error *err)
{
    locus_net made, *net;
    locusi_packer p;
    locusi_work w;
    float *scratch = NULL;
    locus_isa isa = run ? run->isa : LOCUS_ISA_AUTO;
    locus_status status;
    if (!out) return locusi_null(err, "out");
    *out = NULL;
    if (!st) return locusi_null(err, "st");
    if ((status = locusi_isa_choose(&isa, err)) || (status = locusi_net_sizes(&made, st, err)) ||
        (status = locusi_net_hash(&made, st, err)))
        return status;
    made.kernels = locusi_kernels_for(isa);
    made.info.isa = isa;
    locusi_work_begin(&w, run);
    net = (locus_net *)locusi_take(&w, 1, sizeof *net);
    p.net = &made, p.st = st, p.last = locusi_last_name(st), p.index = 0, p.work = &w;
    if (made.info.has_encoder) {
        scratch = (float *)locusi_take(&w, made.r ? made.r : 1, made.hp * sizeof(float));
        locusi_pack_encoder(&p);
    }
    locusi_pack_decoder(&p);
    if (made.text.rows) locusi_pack_text(&p);
    if ((status = locusi_work_short(&w, err)) || (status = locusi_net_check_text(&made, err))) {
        locusi_work_end(&w);
        return status;
    }
    if (scratch) locusi_net_prepare(&made, scratch);
    made.info.bytes = w.used;
    made.home = w;
    *net = made;
    net->info.query_encoder = net->query_encoder;
    net->info.text = net->text.dim ? &net->text : NULL;
    *out = net;
    return LOCUS_OK;
}

#ifndef LOCUS_NO_STDIO
LOCUS_API locus_status locus_net_open(locus_net **out, const char *path, const locus_run *run, locus_error *err)
{
    locus_safetensors st;
    locus_status status;
    if (!out) return locusi_null(err, "out");
    *out = NULL;
    if ((status = locus_safetensors_open(&st, path, err))) return status;
    status = locus_net_create(out, &st, run, err);
    locus_safetensors_close(&st);
    return status;
}
#endif

LOCUS_API locus_net_info locus_net_get_info(const locus_net *net)
{
    locus_net_info none;
    memset(&none, 0, sizeof none);
    return net ? net->info : none;
}

// ---- query encodings, as every call checks them

LOCUSI_FN locus_status locusi_check_queries(const locus_net *net, const locus_queries *q, locus_error *err)
{
    if (q->dim != net->q)
        return locusi_fail(err, LOCUS_ERR_QUERY_DIM, "queries.dim", "%z, the net's q_dim", "%z", net->q, q->dim);
    if (q->stride && q->stride < q->dim)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "queries.stride", "0 or at least %z", "%z", q->dim, q->stride);
    if (!q->encodings && q->count) return locusi_null(err, "queries.encodings");
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
// The grid. Values are scaled by the power of two that bounds them (a bound from the weights, and in layer 0 from the
// longest encoding of the model's own set) to |v| <= 2^36, and p < 2^8 unless a score is 8 or more: |p v| <= 2^44, so
// 2^18 evaluations fit into 64 bits; for more of them the grid is coarser. Where a row's greatest score is not within
// [-8, 8), the pass is made again with p = 2^(score - shift), the shift being that score rounded down: as the score
// does, it depends on the set alone. In practice few passes are made twice.
//
// What is shared. A token is affine in the score, t = (1-y) T0 + y T1, and so are its keys, values, queries and its
// scores against the constant inducing vectors of layer 0. They are computed once for each (query, 0 or 1) that occurs,
// for all models; 0/1 scores pick one, fractional scores mix the two.
//
// Passes. Pass 0 feeds layer 0's inducing vectors; pass l > 0 applies layer l-1 to the tokens and feeds layer l, or the
// pooling. The fast path keeps the tokens between passes, the streaming path starts anew from the encodings each time.

#define LOCUSI_TILE ((size_t)96)       // evaluations worked on at once: their rows stay in the second-level cache
#define LOCUSI_CHUNK (4 * LOCUSI_TILE) // handed to a worker at a time

typedef struct locusi_sums { // for groups (heads) x rows (inducing vectors), which are padded to rowsp
    size_t groups, rows, rowsp, width;
    int64_t *sum;   // [groups, rows, width] of p v
    int64_t *total; // [groups, rowsp] of p
    float *top;     // [groups, rowsp] greatest score
    int beyond;     // a score was 8 or more above its shift: the sums are void, the tops are not
} locusi_sums;

typedef struct locusi_table { // one row for each (query, score 0 or 1) that occurs
    float *t;                 // [dp] token
    float *q;                 // [hp] its query for layer 0's second block
    float *s;                 // [heads, rp] its scores against layer 0's inducing vectors, in powers of 2
    float *v;                 // [hp] its values
} locusi_table;

typedef struct locusi_state { // a model on its way
    float *keys, *values;     // [layers][heads * dh * rp], [layers][r * hp] packed: what the second blocks attend to
    double token_bound;       // of layer 0's values
    int bits;                 // the grid: values count 2^bits
    float *shift;             // [groups, rowsp] of the scores in this pass
    int again;                // this pass is made again
} locusi_state;

typedef struct locusi_scratch { // one worker's buffers, for a tile of evaluations
    float *x, *q, *k, *v, *h, *o, *hidden, *s, *encodings;
    double *p64, *v64;
    locusi_table tile; // streaming: the tile's own table
    size_t query[LOCUSI_TILE], entry[2][LOCUSI_TILE];
    const float *scores[LOCUSI_TILE], *values[LOCUSI_TILE]; // where the rows to be summed stand
    float y[LOCUSI_TILE];
    locusi_sums sums;
    locusi_state state;
    float *stored; // [n, dp] fast path: the model's tokens
    float *sab[4]; // sab: x, the next x, keys, values
    double norm;   // longest encoding seen
} locusi_scratch;

typedef struct locusi_job {
    const locus_net *net;
    const locus_evals *evals;
    const locus_run *run;
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
    size_t done, total; // of progress
} locusi_job;

static LOCUSI_INLINE size_t locusi_max(size_t a, size_t b) { return a > b ? a : b; }
static LOCUSI_INLINE size_t locusi_min(size_t a, size_t b) { return a < b ? a : b; }

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

LOCUSI_FN void locusi_sums_start(locusi_sums *s, size_t groups, size_t rows, size_t width)
{
    size_t i;
    s->groups = groups;
    s->rows = rows;
    s->rowsp = locusi_pad(rows);
    s->width = width;
    s->beyond = 0;
    memset(s->sum, 0, groups * rows * width * sizeof(int64_t));
    memset(s->total, 0, groups * s->rowsp * sizeof(int64_t));
    for (i = 0; i < groups * s->rowsp; i++) s->top[i] = -FLT_MAX;
}

// The exponent of a power of two that bounds what `bound` does.
LOCUSI_FN int locusi_exponent(double bound)
{
    int e;
    frexp(bound, &e);
    return e > -80 ? e : -80;
}

// Add a tile of n rows to a group: row i has its scores, in powers of 2, at w->scores[i] + at, and its values, of at
// most `bound`, at w->values[i] + value_at.
LOCUSI_FN void locusi_sums_add(const locusi_kernels *k, const locusi_state *state, locusi_scratch *w, size_t group,
                               size_t at, size_t n, size_t value_at, double bound)
{
    locusi_sums *s = &w->sums;
    const size_t ld = s->rowsp, width = s->width;
    const float scale = (float)ldexp(1.0, state->bits - locusi_exponent(bound));
    LOCUS_ASSERT(n > 0 && n <= 128); // what an accumulator has room for
    if (!(k->weights(w->scores, at, n, ld, state->shift + group * ld, w->p64, s->top + group * ld) < 8.0f))
        s->beyond = 1;
    if (s->beyond) return;
    k->widen(w->values, value_at, n, width, scale, w->v64);
    k->accumulate(w->p64, ld, n, s->rows, w->v64, width, ldexp(1.0, state->bits), s->sum + group * s->rows * width,
                  s->total + group * ld);
}

// The rows to be summed stand one after the other.
LOCUSI_FN void locusi_rows(const float **row, const float *first, size_t ld, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) row[i] = first + i * ld;
}

// Add b to a.
LOCUSI_FN void locusi_sums_merge(locusi_sums *a, const locusi_sums *b)
{
    size_t i;
    a->beyond |= b->beyond;
    for (i = 0; i < a->groups * a->rowsp; i++)
        if (b->top[i] > a->top[i]) a->top[i] = b->top[i];
    if (a->beyond) return;
    for (i = 0; i < a->groups * a->rows * a->width; i++) a->sum[i] += b->sum[i];
    for (i = 0; i < a->groups * a->rowsp; i++) a->total[i] += b->total[i];
}

// Before a pass, and before a pass of sums for this many groups and rows.
LOCUSI_FN void locusi_pass_begin(locusi_state *state, size_t groups, size_t rows)
{
    memset(state->shift, 0, groups * locusi_pad(rows) * sizeof(float));
    state->again = 0;
}

// All is summed. 1: but the pass is to be made again, with shifts.
LOCUSI_FN int locusi_pass_again(const locusi_sums *s, locusi_state *state)
{
    size_t i;
    if (state->again) return 0;
    for (i = 0; i < s->groups * s->rowsp; i++) {
        if (i % s->rowsp >= s->rows || (s->top[i] >= -8.0f && s->top[i] < 8.0f)) continue;
        state->shift[i] = floorf(s->top[i]);
        state->again = 1;
    }
    return state->again;
}

// out [width] <- sum p v / sum p for one row; bound: of the values
LOCUSI_FN void locusi_sums_mean(const locusi_sums *s, size_t group, size_t row, double bound, float *out)
{
    const int64_t *sum = s->sum + (group * s->rows + row) * s->width;
    const double total = (double)s->total[group * s->rowsp + row], unit = ldexp(1.0, locusi_exponent(bound));
    size_t j;
    for (j = 0; j < s->width; j++) out[j] = (float)((double)sum[j] / total * unit);
}

// w->h [count, hp] <- of all heads, for the rows from `first` on
LOCUSI_FN void locusi_sums_means(const locus_net *net, locusi_scratch *w, size_t first, size_t count, double bound)
{
    size_t i, h;
    for (i = 0; i < count; i++)
        for (h = 0; h < net->heads; h++)
            locusi_sums_mean(&w->sums, h, first + i, bound, w->h + i * net->hp + h * net->dhp);
}

// ---- blocks

// The second half of a block: x <- LN1(O + rff(O)), O = ReLU(LN0(h fc + residual)). x may be the residual.
LOCUSI_FN int locusi_block_tail(const locus_net *net, const locusi_mab *m, locusi_scratch *w, size_t rows,
                                const float *residual, float *x)
{
    const locusi_kernels *k = net->kernels;
    int finite;
    locusi_matmul_run(k, w->h, net->hp, rows, net->hp, m->fc, net->dp, w->o, net->dp, NULL, residual, net->dp, 0);
    finite = k->layernorm(w->o, net->dp, rows, net->d, net->dp / 16, m->gain0, m->bias0, net->live, 1, NULL, NULL);
    locusi_matmul_run(k, w->o, net->dp, rows, net->d, m->w1, net->fp, w->hidden, net->fp, m->b1, NULL, 0, 1);
    locusi_matmul_run(k, w->hidden, net->fp, rows, net->f, m->w2, net->dp, x, net->dp, m->b2, w->o, net->dp, 0);
    return k->layernorm(x, net->dp, rows, net->d, net->dp / 16, m->gain1, m->bias1, net->live, 0, NULL, NULL) && finite;
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

// out [rows, hp] <- x [rows, dp] times one of a block's weights
LOCUSI_FN void locusi_project(const locus_net *net, const float *x, size_t rows, const float *weights, float *out)
{
    locusi_matmul_run(net->kernels, x, net->dp, rows, net->d, weights, net->hp, out, net->hp, NULL, NULL, 0, 0);
}

// scores [rows, ld] <- those of `keys` [rows, hp] in head h against its packed queries [dh -> columns]
LOCUSI_FN void locusi_head_scores(const locus_net *net, const float *keys, size_t rows, size_t h, const float *queries,
                                  size_t columns, float *scores, size_t ld)
{
    locusi_matmul_run(net->kernels, keys + h * net->dhp, net->hp, rows, net->dh, queries + h * net->dh * columns,
                      columns, scores, ld, NULL, NULL, 0, 0);
}

// Feed x [rows, dp] to layer l's inducing vectors.
LOCUSI_FN void locusi_feed_induced(const locus_net *net, size_t l, const locusi_state *state, locusi_scratch *w,
                                   size_t rows, const float *x)
{
    const locusi_mab *m = &net->layer[l].mab1;
    size_t h;
    locusi_project(net, x, rows, m->wk, w->k);
    locusi_project(net, x, rows, m->wv, w->v);
    locusi_rows(w->values, w->v, net->hp, rows);
    locusi_rows(w->scores, w->s, net->rp, rows);
    for (h = 0; h < net->heads; h++) {
        locusi_head_scores(net, w->k, rows, h, net->layer[l].queries, net->rp, w->s, net->rp);
        locusi_sums_add(net->kernels, state, w, h, 0, rows, h * net->dhp, m->value_bound);
    }
}

// Feed x [rows, dp] to the pooling: keys are folded into the constant queries, values are x itself (W_v comes after).
LOCUSI_FN void locusi_feed_pool(const locus_net *net, const locusi_state *state, locusi_scratch *w, size_t rows,
                                const float *x)
{
    const size_t hp = locusi_pad(net->heads);
    locusi_matmul_run(net->kernels, x, net->dp, rows, net->d, net->pool_queries, hp, w->s, hp, NULL, NULL, 0, 0);
    locusi_rows(w->scores, w->s, hp, rows);
    locusi_rows(w->values, x, net->dp, rows);
    locusi_sums_add(net->kernels, state, w, 0, 0, rows, 0, net->pool_bound);
}

// The sums of layer l's first block are complete: finish it and lay out what its second block attends to.
LOCUSI_FN int locusi_finish_induced(const locus_net *net, size_t l, locusi_state *state, locusi_scratch *w)
{
    const locusi_layer *layer = &net->layer[l];
    const double bound = l ? layer->mab1.value_bound : state->token_bound;
    float *keys = state->keys + l * net->heads * net->dh * net->rp, *values = state->values + l * net->r * net->hp;
    size_t first, rows, i, c;
    int finite = !w->sums.beyond;
    memset(keys, 0, net->heads * net->dh * net->rp * sizeof(float)); // the columns beyond r must be numbers
    for (first = 0; first < net->r; first += rows) {
        rows = locusi_min(net->r - first, LOCUSI_TILE);
        locusi_sums_means(net, w, first, rows, bound);
        finite &= locusi_block_tail(net, &layer->mab1, w, rows, layer->induce + first * net->dp, w->x);
        locusi_project(net, w->x, rows, layer->mab2.wk, w->k);
        locusi_project(net, w->x, rows, layer->mab2.wv, w->v);
        locusi_pack_heads(net, w->k, first, rows, net->r, locusi_softmax_scale(net), keys);
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
    size_t h;
    int finite = !w->sums.beyond;
    for (h = 0; h < net->heads; h++) {
        locusi_sums_mean(&w->sums, 0, h, net->pool_bound, w->x);
        locusi_matmul_run(k, w->x, net->dp, 1, net->d, m->wv + h * net->dhp * net->d, net->dhp, w->h + h * net->dhp,
                          net->hp, NULL, NULL, 0, 0);
    }
    finite &= locusi_block_tail(net, m, w, 1, net->pool_seed, w->x);
    locusi_matmul_run(k, w->x, net->dp, 1, net->d, net->out, net->dp, w->o, net->dp, net->out_bias, NULL, 0, 0);
    memcpy(z, w->o, net->d * sizeof(float));
    return finite && locusi_all_finite(z, net->d);
}

// ---- tokens

enum { LOCUSI_TOKENS = 1, LOCUSI_QUERIES = 2, LOCUSI_KEYS = 4 };

// Rows first .. first + n of a table <- the tokens of these queries with score `one`, and what follows from them.
LOCUSI_FN void locusi_table_fill(const locusi_job *job, locusi_scratch *w, const locusi_table *table, size_t first,
                                 int one, const size_t *query, size_t n, int what)
{
    const locus_net *net = job->net;
    float *t = table->t ? table->t + first * net->dp : w->x;
    size_t i, h;
    for (i = 0; i < n; i++) memcpy(w->encodings + i * net->q, locusi_encoding(job, query[i]), net->q * sizeof(float));
    locusi_matmul_run(net->kernels, w->encodings, net->q, n, net->q, net->token[one], net->dp, t, net->dp,
                      net->token_bias[one], NULL, 0, 0);
    if (what & LOCUSI_QUERIES) locusi_project(net, t, n, net->layer[0].mab2.wq, table->q + first * net->hp);
    if (!(what & LOCUSI_KEYS)) return;
    locusi_project(net, t, n, net->layer[0].mab1.wk, w->k);
    locusi_project(net, t, n, net->layer[0].mab1.wv, table->v + first * net->hp);
    for (h = 0; h < net->heads; h++)
        locusi_head_scores(net, w->k, n, h, net->layer[0].queries, net->rp,
                           table->s + (first * net->heads + h) * net->rp, net->heads * net->rp);
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

// row[i] <- where the tile's rows of a table column stand: in the table, or in `mixed` where the score is fractional
LOCUSI_FN void locusi_gather(const locusi_scratch *w, size_t rows, const float *column, size_t n, float *mixed,
                             const float **row)
{
    size_t i, j;
    for (i = 0; i < rows; i++) {
        const float *zero = column + w->entry[0][i] * n, *one = column + w->entry[1][i] * n, y = w->y[i];
        row[i] = y <= 0.0f ? zero : y >= 1.0f ? one : mixed + i * n;
        for (j = 0; y > 0.0f && y < 1.0f && j < n; j++) mixed[i * n + j] = (1.0f - y) * zero[j] + y * one[j];
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

// ---- one pass

LOCUSI_FN void locusi_pass_start(const locus_net *net, locusi_sums *s, size_t pass)
{
    if (pass < net->layers) locusi_sums_start(s, net->heads, net->r, net->dhp);
    else locusi_sums_start(s, 1, net->heads, net->dp);
}

// One tile; slot: where its tokens are kept between passes (fast path).
LOCUSI_FN int locusi_pass_tile(const locusi_job *job, const locusi_state *state, locusi_scratch *w, size_t pass,
                               size_t rows, float *slot)
{
    const locus_net *net = job->net;
    const locusi_table *table = job->streaming ? &w->tile : &job->table;
    float *x = slot ? slot : w->x;
    size_t l, h;
    int finite = 1;
    if (job->streaming) locusi_tile_table(job, w, rows, pass ? LOCUSI_TOKENS | LOCUSI_QUERIES : LOCUSI_KEYS);
    if (pass == 0) {
        locusi_gather(w, rows, table->v, net->hp, w->v, w->values);
        locusi_gather(w, rows, table->s, net->heads * net->rp, w->s, w->scores);
        for (h = 0; h < net->heads; h++)
            locusi_sums_add(net->kernels, state, w, h, h * net->rp, rows, h * net->dhp, state->token_bound);
        return 1;
    }
    for (l = job->streaming ? 0 : state->again ? pass : pass - 1; l < pass; l++) {
        if (l) locusi_project(net, x, rows, net->layer[l].mab2.wq, w->q);
        else {
            locusi_gather_copy(w, rows, table->t, net->dp, x);
            locusi_gather_copy(w, rows, table->q, net->hp, w->q);
        }
        finite &= locusi_block_attend(net, l, state, w, rows, w->q, x);
    }
    if (pass < net->layers) locusi_feed_induced(net, pass, state, w, rows, x);
    else locusi_feed_pool(net, state, w, rows, x);
    return finite;
}

// Report from whichever worker comes by, one at a time.
LOCUSI_FN void locusi_progress(locusi_job *job, size_t worker, size_t rows)
{
    size_t done;
    if (!job->run || !job->run->progress) return;
#if LOCUSI_ATOMIC
    (void)worker;
    done = __atomic_add_fetch(&job->done, rows, __ATOMIC_RELAXED);
    if (__atomic_exchange_n(&job->reporting, 1, __ATOMIC_ACQUIRE)) return;
    if (job->run->progress(job->run->user, done, job->total)) locusi_set_flag(&job->stop);
    __atomic_store_n(&job->reporting, 0, __ATOMIC_RELEASE);
#else
    if (worker > 0) return;
    done = job->done += rows;
    if (job->run->progress(job->run->user, done, job->total)) locusi_set_flag(&job->stop);
#endif
}

// A model's evaluations in places begin .. end; its state and its tokens are the owner's.
LOCUSI_FN void locusi_pass_rows(locusi_job *job, locusi_scratch *w, const locusi_scratch *owner, size_t worker,
                                size_t model, size_t pass, size_t begin, size_t end)
{
    size_t cursor = begin, slot = begin, before = begin, rows;
    for (; (rows = locusi_tile_next(job, w, model, &cursor, end)) > 0; slot += rows, before = cursor) {
        if (!locusi_pass_tile(job, &owner->state, w, pass, rows,
                              job->streaming ? NULL : owner->stored + slot * job->net->dp))
            locusi_set_flag(&job->bad);
        if (!owner->state.again) locusi_progress(job, worker, cursor - before);
        if (locusi_get_flag(&job->stop)) return;
    }
}

// ---- one model by one worker; one model by all workers

LOCUSI_FN size_t locusi_chunks(size_t rows) { return (rows + LOCUSI_CHUNK - 1) / LOCUSI_CHUNK; }

// Of the number of evaluations follows the grid, of the longest encoding the bound of layer 0's values. norm: that of
// the encodings, if it is known.
LOCUSI_FN void locusi_model_begin(const locusi_job *job, size_t model, double norm, locusi_state *state)
{
    const locus_net *net = job->net;
    size_t place, i, n = 0;
    float y;
    for (place = 0; place < locusi_places(job, model); place++) {
        if (!locusi_evaluation(job, model, place, &i, &y)) continue;
        if (job->norms && (double)job->norms[i] > norm) norm = (double)job->norms[i];
        n++;
    }
    for (state->bits = 36; n > (size_t)1 << 18; n = n / 2 + n % 2) state->bits--;
    state->token_bound = (norm * net->token_norm + net->token_bias_norm) * net->value_norm * 1.001 + 1e-30;
}

// One chunk of the rows in a pass that all workers make together.
LOCUSI_FN void locusi_encode_rows(void *arg, size_t worker, size_t item)
{
    locusi_job *job = (locusi_job *)arg;
    const size_t n = locusi_places(job, job->model), chunk = item * LOCUSI_CHUNK;
    if (!locusi_get_flag(&job->stop))
        locusi_pass_rows(job, &job->scratch[worker], &job->scratch[0], worker, job->model, job->pass, chunk,
                         locusi_min(n, chunk + LOCUSI_CHUNK));
}

// All passes of one model: by one worker, or by all (then worker 0 calls).
LOCUSI_FN void locusi_encode_isab(locusi_job *job, locusi_scratch *w, size_t worker, size_t model)
{
    const locus_net *net = job->net;
    const size_t n = locusi_places(job, model);
    size_t pass, i;
    int finite;
    for (pass = 0; pass <= net->layers; pass++) {
        locusi_pass_begin(&w->state, net->heads, net->r);
        do {
            locusi_pass_start(net, &w->sums, pass);
            if (job->by_rows) {
                job->pass = pass;
                for (i = 1; i < job->workers; i++) locusi_pass_start(net, &job->scratch[i].sums, pass);
                locusi_each(job->run, job->workers, 0, locusi_chunks(n), locusi_encode_rows, job);
                for (i = 1; i < job->workers; i++) locusi_sums_merge(&w->sums, &job->scratch[i].sums);
            } else {
                locusi_pass_rows(job, w, w, worker, model, pass, 0, n);
            }
            if (locusi_get_flag(&job->stop)) return;
        } while (locusi_pass_again(&w->sums, &w->state));
        finite = pass < net->layers ? locusi_finish_induced(net, pass, &w->state, w)
                                    : locusi_finish_pool(net, w, job->z + model * net->d);
        if (!finite) locusi_set_flag(&job->bad);
    }
}

// sab: X <- MAB(X, X), layer by layer. A tile of queries plays the inducing vectors' part.
LOCUSI_FN void locusi_encode_sab(locusi_job *job, locusi_scratch *w, size_t worker, size_t model)
{
    const locus_net *net = job->net;
    float *x = w->sab[0], *next = w->sab[1], *keys = w->sab[2], *values = w->sab[3], *packed = w->encodings;
    size_t n = 0, cursor = 0, rows, count, l, i, j, h;
    int finite = 1;
    for (; (rows = locusi_tile_next(job, w, model, &cursor, locusi_places(job, model))) > 0; n += rows)
        locusi_gather_copy(w, rows, job->table.t, net->dp, x + n * net->dp);
    for (l = 0; l < net->layers; l++) {
        const locusi_mab *m = &net->layer[l].mab2;
        const double bound = l ? m->value_bound : w->state.token_bound;
        float *swap = x;
        locusi_project(net, x, n, m->wk, keys);
        locusi_project(net, x, n, m->wv, values);
        for (i = 0; i < n; i += rows) {
            size_t columns;
            rows = locusi_min(n - i, LOCUSI_TILE);
            columns = locusi_pad(rows);
            locusi_project(net, x + i * net->dp, rows, m->wq, w->q);
            memset(packed, 0, net->heads * net->dh * columns * sizeof(float));
            locusi_pack_heads(net, w->q, 0, rows, rows, locusi_softmax_scale(net), packed);
            locusi_pass_begin(&w->state, net->heads, rows);
            do {
                locusi_sums_start(&w->sums, net->heads, rows, net->dhp);
                for (j = 0; j < n; j += count) {
                    count = locusi_min(n - j, LOCUSI_TILE);
                    locusi_rows(w->scores, w->s, columns, count);
                    locusi_rows(w->values, values + j * net->hp, net->hp, count);
                    for (h = 0; h < net->heads; h++) {
                        locusi_head_scores(net, keys + j * net->hp, count, h, packed, columns, w->s, columns);
                        locusi_sums_add(net->kernels, &w->state, w, h, 0, count, h * net->dhp, bound);
                    }
                }
            } while (locusi_pass_again(&w->sums, &w->state));
            locusi_sums_means(net, w, 0, rows, bound);
            finite &= !w->sums.beyond;
            finite &= locusi_block_tail(net, m, w, rows, x + i * net->dp, next + i * net->dp);
            if (locusi_get_flag(&job->stop)) return;
        }
        x = next;
        next = swap;
        locusi_progress(job, worker, job->n);
    }
    locusi_pass_begin(&w->state, 1, net->heads);
    do {
        locusi_sums_start(&w->sums, 1, net->heads, net->dp);
        for (i = 0; i < n; i += rows) {
            rows = locusi_min(n - i, LOCUSI_TILE);
            locusi_feed_pool(net, &w->state, w, rows, x + i * net->dp);
        }
    } while (locusi_pass_again(&w->sums, &w->state));
    locusi_progress(job, worker, job->n);
    if (!(locusi_finish_pool(net, w, job->z + model * net->d) && finite)) locusi_set_flag(&job->bad);
}

LOCUSI_FN void locusi_encode_model(void *arg, size_t worker, size_t model)
{
    locusi_job *job = (locusi_job *)arg;
    locusi_scratch *w = &job->scratch[worker];
    if (locusi_get_flag(&job->stop)) return;
    locusi_model_begin(job, model, 0.0, &w->state);
    if (job->net->info.encoder_kind == LOCUS_SAB) locusi_encode_sab(job, w, worker, model);
    else locusi_encode_isab(job, w, worker, model);
}

// ---- the check of the encodings, the shared table

// Does the fast path's table, or when streaming the model in work, have this query?
LOCUSI_FN int locusi_used(const locusi_job *job, size_t i)
{
    float y;
    return job->streaming ? locusi_score(job->evals, job->model, i, &y)
                          : job->place[0][i] != UINT32_MAX || job->place[1][i] != UINT32_MAX;
}

LOCUSI_FN void locusi_encode_norms(void *arg, size_t worker, size_t item)
{
    locusi_job *job = (locusi_job *)arg;
    size_t i = item * LOCUSI_CHUNK;
    const size_t end = locusi_min(job->n, i + LOCUSI_CHUNK);
    double *most = &job->scratch[worker].norm, norm;
    for (; i < end; i++) {
        if (!locusi_used(job, i)) continue;
        norm = locusi_encoding_norm(job->net, locusi_encoding(job, i));
        if (norm < 0.0) locusi_set_flag(&job->bad);
        if (norm > *most) *most = norm;
        if (job->norms) job->norms[i] = (float)(norm * 1.0001);
    }
}

// A tile of the table: of score 0, behind those of score 1.
LOCUSI_FN void locusi_encode_table(void *arg, size_t worker, size_t tile)
{
    locusi_job *job = (locusi_job *)arg;
    const int sab = job->net->info.encoder_kind == LOCUS_SAB;
    const size_t zeros = (job->zeros + LOCUSI_TILE - 1) / LOCUSI_TILE;
    const int one = tile >= zeros;
    const size_t first = one ? job->zeros + (tile - zeros) * LOCUSI_TILE : tile * LOCUSI_TILE;
    const size_t n = locusi_min((one ? job->entries : job->zeros) - first, LOCUSI_TILE);
    size_t query[LOCUSI_TILE], i;
    for (i = 0; i < n; i++) query[i] = job->entry_query[first + i];
    locusi_table_fill(job, &job->scratch[worker], &job->table, first, one, query, n,
                      sab ? LOCUSI_TOKENS : LOCUSI_TOKENS | LOCUSI_QUERIES | LOCUSI_KEYS);
}

// Which (query, 0 or 1) occur at all.
LOCUSI_FN void locusi_encode_places(locusi_job *job)
{
    size_t m, i;
    int one;
    float y;
    memset(job->place[0], 255, job->n * sizeof(uint32_t));
    memset(job->place[1], 255, job->n * sizeof(uint32_t));
    for (m = 0; m < job->evals->scores.models; m++)
        for (i = 0; i < job->n; i++)
            if (locusi_score(job->evals, m, i, &y)) {
                if (y < 1.0f) job->place[0][i] = 0;
                if (y > 0.0f) job->place[1][i] = 0;
            }
    job->entries = 0;
    for (one = 0; one < 2; one++) {
        for (i = 0; i < job->n; i++)
            if (!job->place[one][i]) {
                job->place[one][i] = (uint32_t)job->entries;
                job->entry_query[job->entries++] = (uint32_t)i;
            }
        if (!one) job->zeros = job->entries;
    }
}

// ---- memory and call

LOCUSI_FN void locusi_table_take(locusi_work *work, const locus_net *net, locusi_table *table, size_t rows)
{
    table->t = locusi_take_floats(work, rows, net->dp);
    if (net->info.encoder_kind == LOCUS_SAB) return;
    locusi_take_arrays(work, 2, rows, net->hp, &table->q, &table->v);
    table->s = locusi_take_floats(work, rows, net->heads * net->rp);
}

LOCUSI_FN void locusi_scratch_take(locusi_work *work, const locusi_job *job, locusi_scratch *w, size_t worker)
{
    const locus_net *net = job->net;
    const int sab = net->info.encoder_kind == LOCUS_SAB;
    const size_t tile = LOCUSI_TILE, rows = sab ? tile : net->rp, heads = locusi_pad(net->heads);
    const size_t across = locusi_max(rows, heads), columns = locusi_max(net->heads * rows, heads);
    int i;
    memset(w, 0, sizeof *w);
    locusi_take_arrays(work, 2, tile, net->dp, &w->x, &w->o);
    locusi_take_arrays(work, 4, tile, net->hp, &w->q, &w->k, &w->v, &w->h);
    w->hidden = locusi_take_floats(work, tile, net->fp);
    w->s = locusi_take_floats(work, tile, locusi_max(across, net->heads * net->rp));
    w->encodings = locusi_take_floats(work, tile, locusi_max(net->q, sab ? net->d : 0));
    locusi_take_doubles(work, 1, tile, across, &w->p64);
    locusi_take_doubles(work, 1, tile, locusi_max(net->dhp, net->dp), &w->v64);
    w->sums.sum = (int64_t *)locusi_take(work, net->heads * locusi_max(rows * net->dhp, net->dp), sizeof(int64_t));
    w->sums.total = (int64_t *)locusi_take(work, columns, sizeof(int64_t));
    w->sums.top = locusi_take_floats(work, columns, 1);
    if (job->streaming) locusi_table_take(work, net, &w->tile, 2 * tile);
    if (worker > 0 && job->by_rows) return; // worker 0's are shared
    w->state.shift = locusi_take_floats(work, columns, 1);
    w->state.keys = locusi_take_floats(work, net->layers, net->heads * net->dh * net->rp);
    w->state.values = locusi_take_floats(work, net->layers, net->r * net->hp);
    for (i = 0; sab && i < 4; i++) w->sab[i] = locusi_take_floats(work, job->n, i < 2 ? net->dp : net->hp);
    if (!sab && !job->streaming) w->stored = locusi_take_floats(work, job->n, net->dp);
}

// Decide on the split and take what the job works in. versions: of the one model in evals, whose draws the caller
// fills in; 0: its models.
LOCUSI_FN void locusi_encode_plan(locusi_job *job, const locus_net *net, const locus_evals *evals, size_t versions,
                                  int streaming, const locus_run *run, locusi_work *work)
{
    const size_t threads = locusi_run_workers(run);
    const int sab = net->info.encoder_kind == LOCUS_SAB;
    size_t i, entries;
    memset(job, 0, sizeof *job);
    job->net = net;
    job->evals = evals;
    job->run = run;
    job->n = evals->queries.count;
    job->models = versions ? versions : evals->scores.models;
    job->total = job->models * job->n * (net->layers + 1);
    job->stride = evals->queries.stride ? evals->queries.stride : evals->queries.dim;
    job->streaming = streaming;
    // Workers take whole models where there are enough to keep all busy, else they share each model's rows.
    job->by_rows = !sab && (streaming || (job->models < 4 * threads && job->n >= 2 * LOCUSI_CHUNK));
    job->workers = sab ? locusi_min(threads, job->models) : threads;
    job->scratch = (locusi_scratch *)locusi_take(work, job->workers, sizeof(locusi_scratch));
    if (versions) {
        job->draws = (uint32_t *)locusi_take(work, versions, job->n * sizeof(uint32_t));
        job->drawn = (size_t *)locusi_take(work, versions, sizeof(size_t));
    }
    if (!streaming) {
        // a score is one of two kinds only where there is one model and no fraction
        entries = evals->scores.models == 1 && evals->scores.u8 ? job->n : 2 * job->n;
        for (i = 0; i < 2; i++) job->place[i] = (uint32_t *)locusi_take(work, job->n, sizeof(uint32_t));
        job->entry_query = (uint32_t *)locusi_take(work, entries, sizeof(uint32_t));
        job->norms = locusi_take_floats(work, job->n, 1);
        locusi_table_take(work, net, &job->table, entries);
    }
    for (i = 0; i < job->workers; i++) {
        locusi_scratch unused;
        locusi_scratch_take(work, job, job->scratch ? &job->scratch[i] : &unused, i);
    }
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

LOCUSI_FN locus_status locusi_check_encoder(const locus_net *net, locus_error *err)
{
    if (net->info.has_encoder) return LOCUS_OK;
    return locusi_fail(err, LOCUS_ERR_NO_ENCODER, "net", "a file with the encoder", "the predictor alone");
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

// All used encodings and the length of the longest, or the error that one of them is.
LOCUSI_FN locus_status locusi_check_encodings(locusi_job *job, double *norm, locus_error *err)
{
    size_t i;
    for (i = 0; i < job->workers; i++) job->scratch[i].norm = 0.0;
    locusi_each(job->run, job->workers, 0, locusi_chunks(job->n), locusi_encode_norms, job);
    for (i = 0; job->bad && i < job->n; i++)
        if (locusi_used(job, i) && locusi_encoding_norm(job->net, locusi_encoding(job, i)) < 0.0)
            return locusi_bad_encoding(locusi_encoding(job, i), job->net->q, i, err);
    for (i = 0; i < job->workers; i++)
        if (job->scratch[i].norm > *norm) *norm = job->scratch[i].norm;
    *norm = (double)(float)(*norm * 1.0001); // as `norms` has it
    return LOCUS_OK;
}

// Fast path: check the encodings, and the table that the models share.
LOCUSI_FN locus_status locusi_encode_prepare(locusi_job *job, locus_error *err)
{
    double norm = 0.0;
    size_t tiles;
    locus_status status;
    locusi_encode_places(job);
    if ((status = locusi_check_encodings(job, &norm, err))) return status;
    tiles = (job->zeros + LOCUSI_TILE - 1) / LOCUSI_TILE + (job->entries - job->zeros + LOCUSI_TILE - 1) / LOCUSI_TILE;
    locusi_each(job->run, job->workers, 0, tiles, locusi_encode_table, job);
    return LOCUS_OK;
}

// All passes of all models: z [models, z_dim].
LOCUSI_FN locus_status locusi_encode_passes(locusi_job *job, float *z, locus_error *err)
{
    locus_status status;
    job->z = z;
    if (!job->by_rows) locusi_each(job->run, job->workers, 0, job->models, locusi_encode_model, job);
    for (job->model = 0; job->by_rows && job->model < job->models && !job->stop; job->model++) {
        double norm = 0.0;
        if (job->streaming && (status = locusi_check_encodings(job, &norm, err))) return status;
        locusi_model_begin(job, job->model, norm, &job->scratch[0].state);
        locusi_encode_isab(job, &job->scratch[0], 0, job->model);
    }
    if (job->stop) return locusi_fail(err, LOCUS_ERR_CANCELLED, "progress", "", "");
    if (job->bad)
        return locusi_fail(err, LOCUS_ERR_NONFINITE, "embedding", "finite numbers",
                           "an overflow: weights or encodings are absurdly large");
    return LOCUS_OK;
}

LOCUS_API locus_status locus_encode(const locus_net *net, const locus_evals *evals, float *z, locus_encode_path path,
                                    const locus_run *run, locus_error *err)
{
    int streaming = path == LOCUS_ENCODE_STREAMING;
    locusi_job job;
    locusi_work work;
    locus_status status;
    if (!net || !evals || !z) return locusi_null(err, !net ? "net" : !evals ? "evals" : "z");
    if ((status = locusi_check_encoder(net, err)) || (status = locusi_check_evals(net, evals, err))) return status;
    if (path < LOCUS_ENCODE_AUTO || path > LOCUS_ENCODE_STREAMING)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "path", "a locus_encode_path", "%d", (int)path);
    if (streaming && net->info.encoder_kind == LOCUS_SAB)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "path", "fast: sab attends from every token to every other",
                           "streaming");
    for (;; locusi_work_end(&work), streaming = 1) { // once more where the fast path is too large
        locusi_work_begin(&work, run);
        locusi_encode_plan(&job, net, evals, 0, streaming, run, &work);
        if (streaming || path != LOCUS_ENCODE_AUTO || net->info.encoder_kind == LOCUS_SAB) break;
        if (work.base ? !work.missing : work.used <= (size_t)1 << 30) break;
    }
    status = locusi_work_short(&work, err);
    if (!status && !streaming) status = locusi_encode_prepare(&job, err);
    if (!status) status = locusi_encode_passes(&job, z, err);
    locusi_work_end(&work);
    return status;
}

// ------------------------------------------------------------------------------------------------------- >>algebra
//
// Small dense problems, in double.

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

// x [n, columns] <- L^-1 x, and x <- L^-T x
LOCUSI_FN void locusi_solve_lower(const double *l, size_t n, double *x, size_t columns)
{
    size_t i, k, c;
    for (i = 0; i < n; i++) {
        double *to = x + i * columns;
        for (k = 0; k < i; k++)
            for (c = 0; c < columns; c++) to[c] -= l[i * n + k] * x[k * columns + c];
        for (c = 0; c < columns; c++) to[c] /= l[i * n + i];
    }
}

LOCUSI_FN void locusi_solve_upper(const double *l, size_t n, double *x, size_t columns)
{
    size_t i, k, c;
    for (i = n; i-- > 0;) {
        const double *from = x + i * columns;
        for (c = 0; c < columns; c++) x[i * columns + c] /= l[i * n + i];
        for (k = 0; k < i; k++)
            for (c = 0; c < columns; c++) x[k * columns + c] -= l[i * n + k] * from[c];
    }
}

// Eigenvalues, descending, and eigenvectors (columns of v) of a symmetric a [n, n], of which the upper triangle is
// read and all is overwritten: Jacobi's rotations.
LOCUSI_FN void locusi_eigen(double *a, size_t n, double *v, double *value)
{
    size_t i, j, k, sweep;
    for (i = 0; i < n; i++)
        for (j = 0; j < n; j++) {
            v[i * n + j] = i == j ? 1.0 : 0.0;
            if (j < i) a[i * n + j] = a[j * n + i];
        }
    for (sweep = 0; sweep < 30; sweep++) {
        double off = 0.0, on = 0.0;
        for (i = 0; i < n; i++)
            for (j = 0; j < n; j++) *(i == j ? &on : &off) += a[i * n + j] * a[i * n + j];
        if (off <= 1e-20 * on) break;
        for (i = 0; i < n; i++)
            for (j = i + 1; j < n; j++) {
                const double apq = a[i * n + j];
                double theta, t, c, s;
                if (fabs(apq) < 1e-300) continue;
                theta = (a[j * n + j] - a[i * n + i]) / (2.0 * apq);
                t = (theta < 0.0 ? -1.0 : 1.0) / (fabs(theta) + sqrt(theta * theta + 1.0));
                c = 1.0 / sqrt(t * t + 1.0);
                s = t * c;
                for (k = 0; k < n; k++) { // rows i and j, then columns
                    const double x = a[i * n + k], y = a[j * n + k];
                    a[i * n + k] = c * x - s * y;
                    a[j * n + k] = s * x + c * y;
                }
                for (k = 0; k < n; k++) {
                    const double x = a[k * n + i], y = a[k * n + j], p = v[k * n + i], q = v[k * n + j];
                    a[k * n + i] = c * x - s * y;
                    a[k * n + j] = s * x + c * y;
                    v[k * n + i] = c * p - s * q;
                    v[k * n + j] = s * p + c * q;
                }
            }
    }
    for (i = 0; i < n; i++) value[i] = a[i * n + i];
    for (i = 0; i < n; i++) {
        size_t best = i;
        for (j = i + 1; j < n; j++)
            if (value[j] > value[best]) best = j;
        if (best == i) continue;
        locusi_swap((unsigned char *)&value[i], (unsigned char *)&value[best], sizeof *value);
        for (k = 0; k < n; k++)
            locusi_swap((unsigned char *)&v[k * n + i], (unsigned char *)&v[k * n + best], sizeof *v);
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
// iteration and Rayleigh-Ritz. scratch: (n + 3 m) m doubles.
LOCUSI_FN void locusi_top_eigen(const double *c, size_t n, size_t m, double *b, double *value, double *scratch)
{
    double *cb = scratch, *inner = cb + n * m, *v = inner + m * m, *row = v + m * m;
    size_t i, j, k, round;
    for (i = 0; i < n * m; i++) b[i] = (double)(locusi_mix(i + 1) >> 11) / 9007199254740992.0 - 0.5;
    for (round = 0; round < 16; round++) {
        if (round) memcpy(b, cb, n * m * sizeof(double));
        locusi_orthonormal(b, n, m);
        memset(cb, 0, n * m * sizeof(double));
        for (i = 0; i < n; i++)
            for (k = 0; k < n; k++)
                for (j = 0; j < m; j++) cb[i * m + j] += c[i * n + k] * b[k * m + j];
    }
    memset(inner, 0, m * m * sizeof(double)); // b' c b
    for (k = 0; k < n; k++)
        for (i = 0; i < m; i++)
            for (j = i; j < m; j++) inner[i * m + j] += b[k * m + i] * cb[k * m + j];
    locusi_eigen(inner, m, v, value);
    for (k = 0; k < n; k++, b += m) { // b <- b v
        for (i = 0; i < m; i++) {
            row[i] = 0.0;
            for (j = 0; j < m; j++) row[i] += b[j] * v[j * m + i];
        }
        memcpy(b, row, m * sizeof(double));
    }
}
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

LOCUS_API locus_status locus_texts_parse(locus_texts *out, const void *data, size_t bytes, const locus_run *run,
                                         locus_error *err)
{
    const unsigned char *const p = (const unsigned char *)data;
    const char **strings[3], *found[3];
    size_t *lengths, i, k, start, end, number, lines = 1, count = 0;
    locus_status status;
    locusi_work w;
    char *chars;
    if (!out) return locusi_null(err, "out");
    memset(out, 0, sizeof *out);
    if (!data && bytes) return locusi_null(err, "data");
    for (i = 0; i < bytes; i++) lines += p[i] == '\n';
    locusi_work_begin(&w, run);
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
LOCUS_API locus_status locus_texts_open(locus_texts *out, const char *path, const locus_run *run, locus_error *err)
{
    locus_file file;
    locus_status status;
    if (!out) return locusi_null(err, "out");
    memset(out, 0, sizeof *out);
    if ((status = locusi_file_open(&file, path, err))) return status;
    status = locus_texts_parse(out, file.data, file.bytes, run, err);
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

typedef struct locusi_text_side { // F by texts or by rows: entries from[i] to from[i + 1] of line i
    size_t *from;
    uint32_t *at;
    float *value;
} locusi_text_side;

typedef struct locusi_text_learn {
    const char *const *texts;
    const size_t *bytes;
    size_t count, most, rows, dim, k, kp; // most: room for rows; k: columns worked on, kp: padded
    const locus_parallel *parallel;
    const locusi_kernels *kernels;
    uint32_t *list, *spare; // features of all texts; scratch
    size_t listed;
    uint32_t *keys, *df; // [most]
    unsigned char *kind; // [most]
    float *weight;       // [most]
    locusi_text_side by_text, by_row;
    float *z, *y;           // [most, kp], [count, kp]
    double *gram, *vectors; // [k, k]
    double *values;         // [k]
    unsigned char seen[8192];
    const locusi_text_side *left; // of the running product out = left x in
    const float *in;
    float *out;
    size_t lines;
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

// Sorted, each once; returns how many are left.
LOCUSI_FN size_t locusi_text_once(uint32_t *keys, size_t n)
{
    size_t i, kept = 0;
    locusi_sort(keys, n, sizeof *keys, locusi_u32_order);
    for (i = 0; i < n; i++)
        if (!kept || keys[i] != keys[kept - 1]) keys[kept++] = keys[i];
    return kept;
}

// Append to the keys the features of the sink that are in most texts, at most `room`.
LOCUSI_FN void locusi_text_select(locusi_text_learn *l, int (*sink)(void *user, uint32_t key, int kind), size_t room)
{
    uint64_t *runs = (uint64_t *)(void *)l->spare; // a run takes two places and stands for at least two
    size_t text, i, run, found = 0;
    l->listed = 0;
    for (text = 0; text < l->count; text++) {
        const size_t from = l->listed;
        locusi_text_features(l->texts[text], locusi_text_length(l, text), sink, l);
        l->listed = from + locusi_text_once(l->list + from, l->listed - from);
    }
    locusi_text_sort(l->list, l->spare, l->listed);
    for (i = 0; i < l->listed; i += run) {
        for (run = 1; i + run < l->listed && l->list[i + run] == l->list[i]; run++) {}
        if (run > 1) runs[found++] = (uint64_t)run << 32 | (l->list[i] ^ 0xffffffffu); // equals: the lower key first
    }
    locusi_sort(runs, found, sizeof *runs, locusi_u64_order);
    for (; room && found; room--) l->keys[l->rows++] = (uint32_t)runs[--found] ^ 0xffffffffu;
    l->rows = locusi_text_once(l->keys, l->rows); // a gram may have the key of a token
}

// F by texts and by rows.
LOCUSI_FN void locusi_text_matrix(locusi_text_learn *l)
{
    size_t *const from = l->by_text.from, *const row_from = l->by_row.from;
    size_t text, i, row;
    l->listed = 0;
    memset(l->df, 0, l->rows * sizeof *l->df);
    for (text = 0; text < l->count; text++) {
        from[text] = l->listed;
        memset(l->seen, 0, sizeof l->seen);
        locusi_text_features(l->texts[text], locusi_text_length(l, text), locusi_text_sink_rows, l);
    }
    from[text] = l->listed;
    for (row = i = 0; row < l->rows; i += l->df[row++]) {
        const double rarity = log((1.0 + (double)l->count) / (1.0 + (double)l->df[row])) + 1.0;
        l->weight[row] =
            l->kind[row] == LOCUSI_SHAPE ? 0.3f : (float)(l->kind[row] == LOCUSI_GRAM ? rarity / 2 : rarity);
        row_from[row] = i;
    }
    for (text = 0; text < l->count; text++) {
        double squares = 0.0;
        size_t hits = 0;
        float scale, root;
        for (i = from[text]; i < from[text + 1]; i++) hits += l->kind[l->list[i]] != LOCUSI_SHAPE;
        root = (float)locusi_text_root(hits + 1);
        for (i = from[text]; i < from[text + 1]; i++) {
            row = l->list[i];
            l->by_text.value[i] = l->kind[row] == LOCUSI_SHAPE ? root : 1.0f;
            squares += pow((double)l->weight[row] * (double)l->by_text.value[i], 2.0);
        }
        scale = squares > 0.0 ? (float)(1.0 / sqrt(squares)) : 0.0f;
        for (i = from[text]; i < from[text + 1]; i++) {
            const size_t to = row_from[row = l->list[i]]++;
            l->by_text.value[i] = l->weight[row] * (l->by_text.value[i] * scale);
            l->by_row.value[to] = l->by_text.value[i];
            l->by_row.at[to] = (uint32_t)text;
        }
    }
    for (row = l->rows; row-- > 0;) row_from[row + 1] = row_from[row];
    row_from[0] = 0;
}

LOCUSI_FN void locusi_text_product(void *arg, size_t worker)
{
    const size_t task = 64;
    locusi_text_learn *l = (locusi_text_learn *)arg;
    size_t mine = 0, begin, line, i;
    while ((begin = locusi_next(&l->counter, worker, &mine) * task) < l->lines)
        for (line = begin; line < l->lines && line < begin + task; line++) {
            float *out = l->out + line * l->kp;
            memset(out, 0, l->kp * sizeof *out);
            for (i = l->left->from[line]; i < l->left->from[line + 1]; i++)
                l->kernels->axpy(l->left->value[i], l->in + l->left->at[i] * l->kp, out, l->kp);
        }
}

LOCUSI_FN void locusi_text_multiply(locusi_text_learn *l, int back) // y <- F z, or back: z <- F^T y
{
    l->left = back ? &l->by_row : &l->by_text;
    l->lines = back ? l->rows : l->count;
    l->in = back ? l->y : l->z;
    l->out = back ? l->z : l->y;
    l->counter.next = 0;
    l->counter.workers = locusi_workers(l->parallel);
    locusi_run(l->parallel, locusi_text_product, l, l->counter.workers);
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

// One row of the result, unrounded.
LOCUSI_FN void locusi_text_row(const locusi_text_learn *l, size_t row, double *out)
{
    size_t d, i;
    for (d = 0; d < l->dim; d++) {
        const size_t from = d + 1;
        const double value = from < l->k ? l->values[from] : 0.0;
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

typedef struct locusi_text_made { // what locus_text_destroy frees
    locus_text text;
    locusi_work work;
} locusi_text_made;

// Texts are checked, and their features counted.
LOCUSI_FN locus_status locusi_text_count(const locusi_text_learn *l, size_t *features, locus_error *err)
{
    size_t i, before;
    if (!l->texts && l->count) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "texts", "an array", "NULL");
    if (l->dim > LOCUS_TEXT_MAX_DIM || l->most > LOCUS_TEXT_MAX_ROWS)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "dim, rows", "at most %z, %z", "%z, %z", (size_t)LOCUS_TEXT_MAX_DIM,
                           (size_t)LOCUS_TEXT_MAX_ROWS, l->dim, l->most);
    if (l->count > 0x7fffffff) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "count", "below 2^31", "%z", l->count);
    for (i = *features = 0; i < l->count; i++) {
        before = *features;
        if (!l->texts[i] && (!l->bytes || l->bytes[i]))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "texts[%z]", "a pointer", "NULL", i);
        locusi_text_features(l->texts[i], locusi_text_length(l, i), locusi_text_sink_count, features);
        if (*features < before) return locusi_fail(err, LOCUS_ERR_OVERFLOW, "texts", "fewer", "more");
    }
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_text_step(locusi_text_learn *l, size_t step, size_t last, uint64_t seed, locus_error *err)
{
    size_t i;
    if (step == 0) locusi_text_select(l, locusi_text_sink_common, l->most - l->most / 6);
    else if (step == 1) locusi_text_select(l, locusi_text_sink_grams, l->most / 6);
    else if (step == 2) locusi_text_matrix(l);
    else locusi_text_multiply(l, step % 2 == 0);
    for (i = 0; step == 2 && i < l->rows * l->kp; i++) { // a random beginning
        const uint64_t h = locusi_mix(seed + (i + 1) * 0x9e3779b97f4a7c15u);
        l->z[i] = i % l->kp < l->k ? (float)(h >> 40) * 1.1920929e-7f - 1.0f : 0.0f; // in [-1, 1)
    }
    if (step == 1 && l->rows == 0)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "texts", "two that have a word or their shape in common",
                           "none of %z", l->count);
    if (step > 2 && step % 2 == 0) locusi_text_orthonormal(l);
    if (step == last) { // (F z)^T (F z)
        locusi_text_gram(l, l->y, l->count);
        locusi_eigen(l->gram, l->k, l->vectors, l->values);
    }
    return LOCUS_OK;
}

LOCUS_API locus_status locus_text_train(locus_text **out, const char *const *texts, const size_t *bytes, size_t count,
                                        const locus_text_train_opts *opts, const locus_run *run, locus_error *err)
{
    const uint64_t seed = opts ? opts->seed : 0;
    const size_t steps = 2 * (opts && opts->iterations ? opts->iterations : 4) + 4;
    locus_isa isa = run ? run->isa : LOCUS_ISA_AUTO;
    locusi_text_learn l;
    locusi_text_made *made;
    locusi_work object, w;
    uint16_t *weights;
    signed char *table;
    size_t i, features = 0;
    locus_status status;
    if (!out) return locusi_null(err, "out");
    *out = NULL;
    memset(&l, 0, sizeof l);
    l.dim = opts && opts->dim ? opts->dim : 128;
    l.most = opts && opts->rows ? opts->rows : 12288;
    l.parallel = run ? run->parallel : NULL;
    l.texts = texts;
    l.bytes = bytes;
    l.count = count;
    l.k = l.dim + 9; // the first is dropped, eight more make the others settle sooner
    l.kp = locusi_pad(l.k);
    if ((status = locusi_isa_choose(&isa, err)) || (status = locusi_text_count(&l, &features, err))) return status;
    l.kernels = locusi_kernels_for(isa);
    locusi_work_begin(&object, run);
    made = (locusi_text_made *)locusi_take(&object, 1, sizeof *made);
    l.keys = (uint32_t *)locusi_take(&object, l.most, sizeof(uint32_t));
    weights = (uint16_t *)locusi_take(&object, l.most, sizeof(uint16_t));
    table = (signed char *)locusi_take(&object, l.most, l.dim);
    w = object; // what follows is given back
    w.blocks = NULL;
    l.by_text.at = l.list = (uint32_t *)locusi_take(&w, features, sizeof(uint32_t));
    l.by_row.at = l.spare = (uint32_t *)locusi_take(&w, features, sizeof(uint32_t));
    l.by_text.from = (size_t *)locusi_take(&w, count + 1, sizeof(size_t));
    l.by_row.from = (size_t *)locusi_take(&w, l.most + 1, sizeof(size_t));
    locusi_take_arrays(&w, 2, features, 1, &l.by_text.value, &l.by_row.value);
    l.df = (uint32_t *)locusi_take(&w, l.most, sizeof(uint32_t));
    l.kind = (unsigned char *)locusi_take(&w, l.most, 1);
    l.weight = locusi_take_floats(&w, l.most, 1);
    l.z = locusi_take_floats(&w, l.most, l.kp);
    l.y = locusi_take_floats(&w, count, l.kp);
    locusi_take_doubles(&w, 2, l.k, l.k, &l.gram, &l.vectors);
    locusi_take_doubles(&w, 1, l.k, 1, &l.values);
    status = locusi_work_short(&w, err);
    for (i = 0; i < steps && !status; i++) {
        if (!(status = locusi_report(run, i, steps, err))) status = locusi_text_step(&l, i, steps - 1, seed, err);
    }
    if (!status) locusi_text_round(&l, weights, table);
    locusi_work_end(&w);
    if (status) {
        locusi_work_end(&object);
        return status;
    }
    made->text.dim = l.dim;
    made->text.rows = l.rows;
    made->text.keys = l.keys;
    made->text.weights = weights;
    made->text.table = table;
    made->work = object;
    *out = &made->text;
    if (run && run->progress) run->progress(run->user, steps, steps);
    return LOCUS_OK;
}

LOCUS_API void locus_text_destroy(locus_text *encoder)
{
    if (encoder) {
        locusi_work work = ((locusi_text_made *)encoder)->work;
        locusi_work_end(&work);
    }
}

// The encoder as tensors of a net's file; returns their number. scratch: 6 * rows bytes, which live as long as they.
LOCUSI_FN size_t locusi_text_tensors(const locus_text *e, locus_tensor tensors[3], unsigned char *scratch)
{
    size_t i;
    if (e->rows == 0) return 0;
    locusi_copy_le(scratch, e->keys, e->rows, 4);
    locusi_copy_le(scratch + 4 * e->rows, e->weights, e->rows, 2);
    memset(tensors, 0, 3 * sizeof *tensors);
    for (i = 0; i < 3; i++) {
        tensors[i].name = locusi_text_parts[i].name;
        tensors[i].dtype = LOCUS_DTYPE_OTHER;
        tensors[i].dtype_name = locusi_text_parts[i].dtype;
        tensors[i].rank = locusi_text_parts[i].rank;
        tensors[i].shape[0] = e->rows;
        tensors[i].shape[1] = i == 2 ? e->dim : 1;
        tensors[i].data = i == 2 ? (const void *)e->table : scratch + (i ? 4 * e->rows : 0);
    }
    return 3;
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
// model apart. item: what is odd about a query beyond its encoding; known only where it was asked. The recalled chance
// of a right answer is mu_m + sd_m (f + h_m).
//
// Its scales come from the pool. How far means differ, and the variances of item and noise, are moments. Two ratios,
// f's variance to the item's and h_m's to the noise's, are the mean of their posterior: restricted likelihood, and a
// prior about 2/3 and 1/10 that some 256 evaluations outweigh.
//
// A model that comes later is known less, so its prior is sharper: the pool's own h_m say in which directions models
// differ (one step of EM for their covariance, kept as its largest principal components and a rest alike in all).
//
// Beside that, how each evaluated query answers to ability: logit P(right) = slope * ability + intercept (Birnbaum
// 1968), the intercept drawn to what the encoding tells and the slope to 1. Unlike a mean, that holds for any choice of
// queries, however skewed: see >>next.
//
// Similarity of queries: (1 + x.x' + e + e^3) / 3 with e = exp(-|x - x'|^2), x the encoding's first principal
// components, component k scaled by its variance^0.15, all so that the mean |x|^2 is 1: a constant, a plane and two
// widths, so that no width has to be chosen. f and h_m are combinations of the similarities to P landmarks (Nystroem's
// approximation): the evaluated queries, or centres of clusters of them, which lose less than any choice among them
// (Zhang, Tsang and Kwok 2008). So a model is one row of P numbers and a query costs P similarities once and P
// multiply-adds for each model.
//
// Files of versions 0.2 and 0.3 hold another kind: its rows give logits, without the 1 in the similarity, and all of
// its scales are constants.

#define LOCUSI_RECALL_RANK ((size_t)128)
#define LOCUSI_RECALL_LANDMARKS ((size_t)512)
#define LOCUSI_RECALL_DIRECTIONS ((size_t)32)
#define LOCUSI_RECALL_SCALARS ((size_t)6)

#define LOCUSI_RECALL_WEIGHT 0.8 // of its logit beside a net's, where the net does not say what suits it

#define LOCUSI_RATIO_SHARED (2.0 / 3.0) // prior centres of f to item, and of h_m to noise,
#define LOCUSI_RATIO_OWN 0.1
#define LOCUSI_RATIO_SPREAD 0.2 // and the deviation of their decimal logarithms
#define LOCUSI_SD_SLOPE 0.3     // prior deviation of a query's log slope,
#define LOCUSI_SD_INTERCEPT 2.0 // and of its intercept from the encoding's

typedef struct locusi_recall {
    size_t rank, landmarks, seen, q; // multiples of 16 (q: of the encodings, as it is)
    size_t directions;
    float weight;           // of its logit; the net's has 1 - weight
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
    float *features;        // while learning: packed [landmarks -> landmarks], similarities -> features whose prior is
                            // the identity; also takes weights of features to weights of similarities
    double *factor, *spare; // while learning: [landmarks, landmarks], L with L L^T the landmarks' similarities; scratch
    size_t floats;          // of the block from `known` to the end of `items`
} locusi_recall;

LOCUSI_FN double locusi_clamp(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

LOCUSI_FN uint64_t locusi_encoding_hash(const float *q, size_t n)
{
    uint64_t h = n;
    size_t i;
    for (i = 0; i < n; i++) h = locusi_mix(h ^ locusi_f32_bits(q[i] + 0.0f));
    return h;
}

LOCUSI_FN void locusi_recall_take_learning(locusi_recall *m, locusi_work *w)
{
    m->features = locusi_take_floats(w, m->landmarks, m->landmarks);
    locusi_take_doubles(w, 2, m->landmarks, m->landmarks, &m->factor, &m->spare);
}

// All that is kept, zero, in one block.
LOCUSI_FN void locusi_recall_take(locusi_recall *m, locusi_work *w)
{
    const size_t p = m->landmarks, r = m->rank, seen = locusi_pad(m->seen);
    const size_t size[] = {r * m->q, r, p * r, p, p * r, p, m->directions * p, seen, 2 * seen};
    float **const part[] = {&m->map,    &m->map_bias,  &m->landmark,   &m->half, &m->points,
                            &m->shared, &m->direction, &m->difficulty, &m->items};
    float *at;
    size_t i;
    m->floats = 2 * seen;
    for (i = 0; i < sizeof size / sizeof *size; i++) m->floats += size[i];
    if (!(at = locusi_take_zeros(w, m->floats, 1))) return;
    m->known = (uint64_t *)(void *)at;
    at += 2 * seen;
    for (i = 0; i < sizeof size / sizeof *size; at += size[i++]) *part[i] = at;
}

// out [n, landmarks] <- similarities of n encodings to the landmarks; x [n, rank] is scratch
LOCUSI_FN void locusi_recall_kernels(const locusi_recall *m, const locusi_kernels *k, const float *q, size_t ldq,
                                     size_t n, float *x, float *out)
{
    size_t i;
    locusi_matmul_run(k, q, ldq, n, m->q, m->map, m->rank, x, m->rank, m->map_bias, NULL, 0, 0);
    locusi_matmul_run(k, x, m->rank, n, m->rank, m->landmark, m->landmarks, out, m->landmarks, NULL, NULL, 0, 0);
    for (i = 0; i < n; i++)
        k->kernel(out + i * m->landmarks, m->half, 0.5f * k->square(x + i * m->rank, m->rank), m->landmarks);
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

// ---- features: similarities in a basis in which the prior is the identity

// factor <- of the landmarks' own similarities, features <- for the prior that is alike in all directions; 0 if the
// landmarks are absurd.
LOCUSI_FN int locusi_recall_prepare(locusi_recall *m, const locusi_kernels *k)
{
    const size_t p = m->landmarks, r = m->rank;
    size_t i, j, c;
    double *l = m->factor;
    for (i = 0; i < p; i++) {
        float *row = m->features + i * p; // borrowed
        locusi_matmul_run(k, m->points + i * r, r, 1, r, m->landmark, p, row, p, NULL, NULL, 0, 0);
        k->kernel(row, m->half, m->half[i], p);
    }
    for (i = 0; i < p; i++) // what is added to the diagonal keeps float32 sufficient everywhere else
        for (j = 0; j <= i; j++) l[i * p + j] = (double)m->features[i * p + j] + (i == j ? 1e-4 : 0.0);
    if (!locusi_cholesky(l, p)) return 0;
    memset(m->features, 0, p * p * sizeof(float));
    for (j = 0; j < p; j++) { // column j of L^-1, packed at once: feature i takes landmark j
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
    for (j = 0; j < p; j++) { // landmark j's share of each feature
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

// out [landmarks] <- the weights on similarities that weights theta on features come to
LOCUSI_FN void locusi_recall_weights(const locusi_recall *m, const double *theta, double *out)
{
    const size_t p = m->landmarks;
    size_t panel, j, c;
    memset(out, 0, p * sizeof(double));
    for (panel = 0; panel < p; panel += 16)
        for (j = 0; j < p; j++) {
            const float *row = m->features + panel * p + 16 * j;
            double sum = 0.0;
            for (c = 0; c < 16; c++) sum += (double)row[c] * theta[panel + c];
            out[j] += sum;
        }
}

// ---- ridge regression on features phi [n, p]: minimise sum_i w_i (y_i - phi_i x)^2 + x' x

typedef struct locusi_ridge {
    const locusi_kernels *k;
    size_t n, p;
    const float *phi; // [n, p]
    float *scaled;    // [n, p]
    float *normal;    // [p, p] phi' W phi
    double *factor;   // [p, p] L with L L^T = phi' W phi + 1
} locusi_ridge;

LOCUSI_FN void locusi_ridge_take(locusi_ridge *r, size_t n, size_t p, locusi_work *w)
{
    r->n = n;
    r->p = p;
    r->scaled = locusi_take_floats(w, n, p);
    r->normal = locusi_take_floats(w, p, p);
    locusi_take_doubles(w, 1, p, p, &r->factor);
}

LOCUSI_FN void locusi_ridge_normal(locusi_ridge *r, const float *w)
{
    const size_t p = r->p;
    size_t i;
    memset(r->scaled, 0, r->n * p * sizeof(float));
    for (i = 0; i < r->n; i++)
        if (w[i] > 0.0f) r->k->axpy(w[i], r->phi + i * p, r->scaled + i * p, p);
    locusi_product(r->k, r->scaled, 1, p, p, r->n, r->phi, p, 16, p, r->normal, p, 0);
}

LOCUSI_FN void locusi_ridge_factor(locusi_ridge *r, const float *w)
{
    const size_t p = r->p;
    size_t i;
    locusi_ridge_normal(r, w);
    for (i = 0; i < p * p; i++) r->factor[i] = (double)r->normal[i] + (i % (p + 1) ? 0.0 : 1.0);
    locusi_cholesky(r->factor, p); // at least 1: cannot fail but for absurd input, which gives NaN and is seen later
}

// x [p] <- phi' W y
LOCUSI_FN void locusi_ridge_right(const locusi_ridge *r, const float *w, const double *y, double *x)
{
    size_t i, c;
    memset(x, 0, r->p * sizeof(double));
    for (i = 0; i < r->n; i++) {
        const double wy = (double)w[i] * y[i];
        const float *phi = r->phi + i * r->p;
        if (wy != 0.0)
            for (c = 0; c < r->p; c++) x[c] += wy * (double)phi[c];
    }
}

LOCUSI_FN void locusi_ridge_solve(const locusi_ridge *r, double *x)
{
    locusi_solve_lower(r->factor, r->p, x, 1);
    locusi_solve_upper(r->factor, r->p, x, 1);
}

// x [p] <- the weights on features
LOCUSI_FN void locusi_ridge_features(const locusi_ridge *r, const float *w, const double *y, double *x)
{
    locusi_ridge_right(r, w, y, x);
    locusi_ridge_solve(r, x);
}

// ---- many such regressions at once, each with its own weights: conjugate gradients, with the factor for weights that
// are typical of them as preconditioner

#define LOCUSI_PANEL ((size_t)16) // regressions at once: the columns of a panel

typedef struct locusi_panel {
    float *weight, *u; // [n, PANEL]
    float *in, *out;   // [p, PANEL]
    double *x, *r;     // [p, PANEL] the solutions, and what they leave of the right-hand side
    double *z, *p, *a; // [p, PANEL]
} locusi_panel;

LOCUSI_FN void locusi_panel_take(locusi_panel *a, size_t n, size_t p, locusi_work *w)
{
    locusi_take_arrays(w, 2, n, LOCUSI_PANEL, &a->weight, &a->u);
    locusi_take_arrays(w, 2, p, LOCUSI_PANEL, &a->in, &a->out);
    locusi_take_doubles(w, 5, p, LOCUSI_PANEL, &a->x, &a->r, &a->z, &a->p, &a->a);
}

LOCUSI_FN void locusi_panel_dot(const double *a, const double *b, size_t n, double *out)
{
    size_t i, v;
    memset(out, 0, LOCUSI_PANEL * sizeof(double));
    for (i = 0; i < n; i++)
        for (v = 0; v < LOCUSI_PANEL; v++) out[v] += a[i * LOCUSI_PANEL + v] * b[i * LOCUSI_PANEL + v];
}

// out [p, PANEL] <- phi' u
LOCUSI_FN void locusi_panel_right(const locusi_ridge *r, locusi_panel *w)
{
    locusi_product(r->k, r->phi, 1, r->p, r->p, r->n, w->u, LOCUSI_PANEL, 16, LOCUSI_PANEL, w->out, LOCUSI_PANEL, 0);
}

// u [n, PANEL] <- phi x
LOCUSI_FN void locusi_panel_fitted(const locusi_ridge *r, locusi_panel *w, const double *x)
{
    size_t i;
    for (i = 0; i < r->p * LOCUSI_PANEL; i++) w->in[i] = (float)x[i];
    locusi_matmul_run(r->k, r->phi, r->p, r->n, r->p, w->in, LOCUSI_PANEL, w->u, LOCUSI_PANEL, NULL, NULL, 0, 0);
}

// From x and its r on. A column that is done stays as it is, so that none depends on its neighbours.
LOCUSI_FN void locusi_panel_solve(const locusi_ridge *r, locusi_panel *w, size_t steps)
{
    const size_t p = r->p, cells = p * LOCUSI_PANEL;
    double rz[LOCUSI_PANEL], pa[LOCUSI_PANEL], next[LOCUSI_PANEL], enough[LOCUSI_PANEL];
    size_t step, i, v, open = 1;
    for (step = 0; step < steps && open; step++) {
        memcpy(w->z, w->r, cells * sizeof(double));
        locusi_solve_lower(r->factor, p, w->z, LOCUSI_PANEL);
        locusi_solve_upper(r->factor, p, w->z, LOCUSI_PANEL);
        locusi_panel_dot(w->r, w->z, p, next);
        for (v = open = 0; v < LOCUSI_PANEL; v++) {
            if (!step) enough[v] = 1e-10 * next[v];
            open += next[v] > enough[v];
        }
        for (i = 0; i < cells; i++) {
            v = i % LOCUSI_PANEL;
            w->p[i] = w->z[i] + (step && rz[v] > 0.0 ? next[v] / rz[v] * w->p[i] : 0.0);
        }
        memcpy(rz, next, sizeof rz);
        locusi_panel_fitted(r, w, w->p); // a <- (phi' W phi + 1) p
        for (i = 0; i < r->n * LOCUSI_PANEL; i++) w->u[i] *= w->weight[i];
        locusi_panel_right(r, w);
        for (i = 0; i < cells; i++) w->a[i] = w->p[i] + (double)w->out[i];
        locusi_panel_dot(w->p, w->a, p, pa);
        for (i = 0; i < cells; i++) {
            double length;
            v = i % LOCUSI_PANEL;
            length = rz[v] > enough[v] && pa[v] > 0.0 ? rz[v] / pa[v] : 0.0;
            w->x[i] += length * w->p[i];
            w->r[i] -= length * w->a[i];
        }
    }
}

// ---- how strong the signal is against the noise

#define LOCUSI_RATIOS ((size_t)9) // from a quarter to four times the prior's centre
#define LOCUSI_RATIO_STEP 0.15    // in decimal logarithms

typedef struct locusi_ratio {
    double centre;
    double residual[LOCUSI_RATIOS], volume[LOCUSI_RATIOS]; // sums of y' C^-1 y and of log |C|, C = 1 + ratio phi phi'
    double count;                                          // of targets, less one for each unknown mean
} locusi_ratio;

LOCUSI_FN double locusi_ratio_away(size_t g) { return LOCUSI_RATIO_STEP * ((double)g - 0.5 * (LOCUSI_RATIOS - 1)); }

// Take in `columns` targets y [columns, n] with weights w [n], 0: not asked. right [2 p, columns] and the ridge's
// factor are scratch.
LOCUSI_FN void locusi_ratio_add(locusi_ratio *a, locusi_ridge *r, const float *w, double *y, size_t columns,
                                double *right)
{
    const size_t p = r->p, n = r->n;
    double mean[LOCUSI_RECALL_LANDMARKS], x[LOCUSI_RECALL_LANDMARKS], weights = 0.0, asked = 0.0, squares = 0.0;
    double *solved = right + p * columns;
    size_t i, c, g, column;
    memset(mean, 0, sizeof mean);
    for (i = 0; i < n; i++) {
        if (!(w[i] > 0.0f)) continue;
        asked += 1.0;
        weights += (double)w[i];
        for (c = 0; c < p; c++) mean[c] += (double)w[i] * (double)r->phi[i * p + c];
    }
    if (!(asked > 1.0)) return;
    locusi_ridge_normal(r, w);
    for (column = 0; column < columns; column++) { // the weighted means of targets and features are unknown
        double *target = y + column * n, sum = 0.0;
        for (i = 0; i < n; i++) sum += (double)w[i] * target[i];
        for (i = 0; i < n; i++) {
            target[i] -= sum / weights;
            squares += (double)w[i] * target[i] * target[i];
        }
        locusi_ridge_right(r, w, target, x);
        for (c = 0; c < p; c++) right[c * columns + column] = x[c];
    }
    for (g = 0; g < LOCUSI_RATIOS; g++) {
        const double ratio = a->centre * pow(10.0, locusi_ratio_away(g));
        double volume = 0.0, told = 0.0;
        for (i = 0; i < p; i++)
            for (c = 0; c <= i; c++)
                r->factor[i * p + c] =
                    ratio * ((double)r->normal[i * p + c] - mean[i] * mean[c] / weights) + (i == c ? 1.0 : 0.0);
        locusi_cholesky(r->factor, p); // at least 1
        for (i = 0; i < p; i++) volume += 2.0 * log(r->factor[i * (p + 1)]);
        memcpy(solved, right, p * columns * sizeof(double));
        locusi_solve_lower(r->factor, p, solved, columns);
        for (i = 0; i < p * columns; i++) told += solved[i] * solved[i];
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
        const double away = locusi_ratio_away(g) / LOCUSI_RATIO_SPREAD;
        const double residual = a->residual[g] > 1e-30 ? a->residual[g] : 1e-30;
        evidence[g] = -0.5 * (a->count * log(residual) + a->volume[g] + away * away);
        most = evidence[g] > most ? evidence[g] : most;
    }
    for (g = 0; g < LOCUSI_RATIOS; g++) {
        const double weight = exp(evidence[g] - most);
        sum += weight;
        mean += weight * locusi_ratio_away(g);
    }
    return a->centre * pow(10.0, mean / sum);
}

LOCUSI_FN double locusi_deviation(double mean)
{
    const double v = mean * (1.0 - mean);
    return sqrt(v > 0.05 ? v : 0.05);
}

// ---- the space: principal components and landmarks

#define LOCUSI_CLOUD ((size_t)8192) // encodings that the components are taken from, at most

typedef struct locusi_cloud {
    size_t step, n, take, wide; // take: components; wide: what the iteration works on
    float *x, *normal;          // [n, qp] encodings less their mean, [qp, qp] x'x
    double *covariance, *mean, *b, *value, *scratch;
} locusi_cloud;

LOCUSI_FN void locusi_cloud_take(locusi_cloud *a, size_t q, size_t count, locusi_work *w)
{
    const size_t qp = locusi_pad(q);
    a->step = (count + LOCUSI_CLOUD - 1) / LOCUSI_CLOUD;
    a->n = (count + a->step - 1) / a->step;
    a->take = q < LOCUSI_RECALL_RANK ? q : LOCUSI_RECALL_RANK - 1; // one is for the constant
    a->wide = a->take + 8 < q ? a->take + 8 : q;
    a->x = locusi_take_zeros(w, a->n, qp);
    a->normal = locusi_take_floats(w, qp, qp);
    a->mean = (double *)locusi_take_zero(w, q, sizeof(double));
    locusi_take_doubles(w, 1, q, q, &a->covariance);
    locusi_take_doubles(w, 1, q, a->wide, &a->b);
    locusi_take_doubles(w, 1, q + 4 * a->wide, a->wide, &a->scratch);
    a->value = a->scratch + (q + 3 * a->wide) * a->wide;
}

// m->map: the principal components of all encodings at hand.
LOCUSI_FN void locusi_recall_map(locusi_recall *m, locusi_cloud *a, const locusi_kernels *k, const locus_queries *all)
{
    const size_t q = m->q, qp = locusi_pad(q), stride = all->stride ? all->stride : all->dim;
    double total = 0.0, scale[LOCUSI_RECALL_RANK];
    size_t i, j, c;
    for (i = 0; i < a->n; i++)
        for (c = 0; c < q; c++) a->mean[c] += (double)all->encodings[i * a->step * stride + c] / (double)a->n;
    for (i = 0; i < a->n; i++)
        for (c = 0; c < q; c++)
            a->x[i * qp + c] = (float)((double)all->encodings[i * a->step * stride + c] - a->mean[c]);
    locusi_product(k, a->x, 1, qp, qp, a->n, a->x, qp, 16, qp, a->normal, qp, 0);
    for (i = 0; i < q; i++)
        for (j = 0; j < q; j++) a->covariance[i * q + j] = (double)a->normal[i * qp + j] / (double)a->n;
    locusi_top_eigen(a->covariance, q, a->wide, a->b, a->value, a->scratch);
    for (c = 0; c < a->take; c++) {
        const double v = a->value[c] > 1e-7 * a->value[0] ? a->value[c] : 0.0; // what is left is rounding
        scale[c] = pow(v, 0.15);
        total += v * scale[c] * scale[c];
    }
    memset(m->map, 0, q * m->rank * sizeof(float));
    memset(m->map_bias, 0, m->rank * sizeof(float));
    for (c = 0; c < a->take; c++) {
        const double s = total > 0.0 ? scale[c] / sqrt(total) : 0.0;
        double bias = 0.0;
        for (i = 0; i < q; i++) {
            m->map[locusi_packed(c, i, q)] = (float)(a->b[i * a->wide + c] * s);
            bias -= a->mean[i] * a->b[i * a->wide + c] * s;
        }
        m->map_bias[c] = (float)bias;
    }
    m->map_bias[a->take] = 1.0f;
}

// ---- learning from all models of a pool

#define LOCUSI_TARGETS ((size_t)64)         // models whose evidence is taken in at most; of those with gaps ..
#define LOCUSI_GAPPY_TARGETS ((size_t)8192) // .. so many as have these evaluations together, 2 to 12

// What a caller asks of the learning, and what it gets beside the recall.
typedef struct locusi_recall_fit {
    int bare;     // 1: the evaluated queries and the directions are not wanted
    float *rows;  // [models, landmarks] (f + h_m) sd_m
    float *base;  // [models] mu_m
    float *own;   // [models, landmarks] h_m
    double *item; // [rows of the evaluations] t - f; 0 where no model has a score
} locusi_recall_fit;

typedef struct locusi_known { // a query's hash and its place
    uint64_t hash;
    size_t at;
} locusi_known;

typedef struct locusi_learner {
    locusi_recall *m;
    locusi_cloud cloud;
    locusi_ridge ridge;
    locusi_panel panel;
    size_t n, models, width;      // width: models, padded
    float *q, *x, *kernels, *phi; // [n, q], [n, rank], [n, landmarks] twice
    float *y, *h;                 // [n, width] scores, NaN: missing; h_m
    float *theta, *w, *shares;    // [models, landmarks] h_m in features; [n]
    size_t *row;                  // [n] of the evaluations
    double *asked;                // [n] models that have a score there
    double *mu, *sd, *answered;   // [models]; answered: how many scores
    double *t, *z, *f;            // [n]
    double *targets, *right;      // [TARGETS, n], [2 landmarks, TARGETS]
    double *feature, *weight;     // [landmarks]
    double *slope, *intercept;    // [n]
    double *ability;              // [models]
    locusi_known *known;          // [n]
    double item;                  // variance
    int full, given;              // no gaps; the ratios are known
} locusi_learner;

LOCUSI_FN int locusi_known_order(const void *a, const void *b)
{
    const locusi_known *x = (const locusi_known *)a, *y = (const locusi_known *)b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

// The place of a query among those that were evaluated; SIZE_MAX if it is new.
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

// m->points: the evaluated queries, and others where these are few; of many the centres, by k-means from those of
// lowest hash on.
LOCUSI_FN void locusi_learn_landmarks(locusi_learner *l, const locusi_kernels *k, const locus_queries *others)
{
    locusi_recall *m = l->m;
    const size_t n = l->n, p = m->landmarks, r = m->rank;
    double *sum = m->spare, *members = sum + p * r;
    size_t i, j, c, round;
    locusi_matmul_run(k, l->q, m->q, n, m->q, m->map, r, l->x, r, m->map_bias, NULL, 0, 0);
    for (j = 0; j < p; j++) {
        const float *from = l->x + l->known[j % n].at * r;
        if (j >= n && others) {
            const size_t stride = others->stride ? others->stride : others->dim;
            const float *q = others->encodings + (j - n) * others->count / (p - n) * stride;
            locusi_matmul_run(k, q, m->q, 1, m->q, m->map, r, m->points + j * r, r, m->map_bias, NULL, 0, 0);
        } else {
            memcpy(m->points + j * r, from, r * sizeof(float));
        }
    }
    for (round = 0; n > p && round < 3; round++) {
        locusi_recall_pack(m, k);
        locusi_matmul_run(k, l->x, r, n, r, m->landmark, p, l->kernels, p, NULL, NULL, 0, 0);
        memset(sum, 0, (p * r + p) * sizeof(double));
        for (i = 0; i < n; i++) {
            const float *dot = l->kernels + i * p;
            size_t nearest = 0;
            for (j = 1; j < p; j++)
                if (dot[j] - m->half[j] > dot[nearest] - m->half[nearest]) nearest = j;
            for (c = 0; c < r; c++) sum[nearest * r + c] += (double)l->x[i * r + c];
            members[nearest] += 1.0;
        }
        for (j = 0; j < p; j++)
            for (c = 0; c < r && members[j] > 0.0; c++) m->points[j * r + c] = (float)(sum[j * r + c] / members[j]);
    }
    locusi_recall_pack(m, k);
}

// Means, drawn to the pool's as far as models differ.
LOCUSI_FN void locusi_learn_means(locusi_learner *l)
{
    locusi_recall *m = l->m;
    const double models = (double)l->models;
    double mean = 0.0, square = 0.0, noise = 0.0, variance, between;
    size_t i, j;
    for (j = 0; j < l->models; j++) { // mu: the sums, for the time being
        double sum = 0.0;
        for (i = 0; i < l->n; i++) {
            const float y = l->y[i * l->width + j];
            if (!locusi_is_nan(y)) sum += (double)y - l->sd[j] * l->t[i];
        }
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

// f and t from what the models have in common; the items' variance is estimated anew.
LOCUSI_FN void locusi_learn_shared(locusi_learner *l)
{
    locusi_recall *m = l->m;
    const size_t n = l->n, p = m->landmarks;
    double odd = 0.0;
    size_t i, j, c;
    for (i = 0; i < n; i++) {
        l->z[i] = 0.0;
        for (j = 0; j < l->models; j++) {
            const double y = (double)l->y[i * l->width + j], h = (double)l->h[i * l->width + j];
            if (!locusi_is_nan(l->y[i * l->width + j])) l->z[i] += ((y - l->mu[j]) / l->sd[j] - h) / l->asked[i];
        }
        l->targets[i] = l->z[i];
        l->shares[i] = (float)(l->item / (l->item + m->noise / l->asked[i]));
    }
    if (!l->given) {
        locusi_ratio evidence;
        memset(&evidence, 0, sizeof evidence);
        evidence.centre = LOCUSI_RATIO_SHARED;
        locusi_ratio_add(&evidence, &l->ridge, l->shares, l->targets, 1, l->right);
        m->ratio[0] = locusi_ratio_mean(&evidence);
    }
    for (i = 0; i < n; i++) l->w[i] = (float)m->ratio[0] * l->shares[i];
    locusi_ridge_factor(&l->ridge, l->w);
    locusi_ridge_features(&l->ridge, l->w, l->z, l->feature);
    locusi_recall_weights(m, l->feature, l->weight);
    for (c = 0; c < p; c++) m->shared[c] = (float)l->weight[c];
    for (i = 0; i < n; i++) {
        l->f[i] = 0.0;
        for (c = 0; c < p; c++) l->f[i] += l->feature[c] * (double)l->phi[i * p + c];
        l->t[i] = l->f[i] + (double)l->shares[i] * (l->z[i] - l->f[i]);
        odd += (l->z[i] - l->f[i]) * (l->z[i] - l->f[i]) - m->noise / l->asked[i];
    }
    l->item = locusi_clamp(odd / (double)n, 0.02, 1.0);
}

// What sets the model apart on query i; NaN: no score.
LOCUSI_FN double locusi_learn_difference(const locusi_learner *l, size_t model, size_t i)
{
    return ((double)l->y[i * l->width + model] - l->mu[model]) / l->sd[model] - l->t[i];
}

// m->own and m->noise: how much of what sets models apart is a function of the encoding.
LOCUSI_FN void locusi_learn_own_ratio(locusi_learner *l)
{
    locusi_recall *m = l->m;
    const size_t n = l->n, p = m->landmarks;
    const size_t gappy = locusi_max(2, LOCUSI_GAPPY_TARGETS / n < 12 ? LOCUSI_GAPPY_TARGETS / n : 12);
    const size_t most = l->full ? LOCUSI_TARGETS : gappy, take = l->models < most ? l->models : most;
    double squares = 0.0, spread = 0.0, count = 0.0;
    locusi_ratio evidence;
    size_t i, j, c;
    memset(&evidence, 0, sizeof evidence);
    evidence.centre = LOCUSI_RATIO_OWN;
    for (j = 0; j < take && !l->given; j++) {
        const size_t model = j * l->models / take;
        double *to = l->targets + (l->full ? j : 0) * n;
        for (i = 0; i < n; i++) {
            const int has = !locusi_is_nan(l->y[i * l->width + model]);
            l->w[i] = has ? 1.0f : 0.0f;
            to[i] = has ? locusi_learn_difference(l, model, i) : 0.0;
        }
        if (!l->full) locusi_ratio_add(&evidence, &l->ridge, l->w, to, 1, l->right);
    }
    if (l->full && !l->given) locusi_ratio_add(&evidence, &l->ridge, l->w, l->targets, take, l->right);
    if (!l->given) m->ratio[1] = locusi_ratio_mean(&evidence);
    for (i = 0; i < n; i++) {
        double length = 0.0;
        for (c = 0; c < p; c++) length += (double)l->phi[i * p + c] * (double)l->phi[i * p + c];
        spread += length * l->asked[i];
        count += l->asked[i];
        for (j = 0; j < l->models; j++) {
            const double d = locusi_learn_difference(l, j, i);
            if (!locusi_is_nan(l->y[i * l->width + j])) squares += d * d;
        }
    }
    m->noise = locusi_clamp(squares / count / (1.0 + m->ratio[1] * spread / count), 0.05, 1.0);
    m->own = m->ratio[1] * m->noise;
}

// theta and h of every model
LOCUSI_FN void locusi_learn_own(locusi_learner *l)
{
    const size_t n = l->n, p = l->m->landmarks;
    const float weight = (float)(l->m->own / l->m->noise);
    locusi_panel *a = &l->panel;
    size_t first, i, v, c;
    for (i = 0; i < n; i++) l->w[i] = weight * (float)(l->asked[i] / (double)l->models);
    locusi_ridge_factor(&l->ridge, l->w);
    for (first = 0; first < l->models; first += LOCUSI_PANEL) {
        const size_t count = l->models - first < LOCUSI_PANEL ? l->models - first : LOCUSI_PANEL;
        for (i = 0; i < n; i++)
            for (v = 0; v < LOCUSI_PANEL; v++) {
                const int has = v < count && !locusi_is_nan(l->y[i * l->width + first + v]);
                a->weight[i * LOCUSI_PANEL + v] = has ? weight : 0.0f;
                a->u[i * LOCUSI_PANEL + v] = has ? weight * (float)locusi_learn_difference(l, first + v, i) : 0.0f;
            }
        locusi_panel_right(&l->ridge, a);
        for (i = 0; i < p * LOCUSI_PANEL; i++) a->x[i] = 0.0, a->r[i] = (double)a->out[i];
        locusi_panel_solve(&l->ridge, a, 32);
        locusi_panel_fitted(&l->ridge, a, a->x);
        for (v = 0; v < count; v++) {
            for (i = 0; i < n; i++) l->h[i * l->width + first + v] = a->u[i * LOCUSI_PANEL + v];
            for (c = 0; c < p; c++) l->theta[(first + v) * p + c] = a->in[c * LOCUSI_PANEL + v];
        }
    }
}

// The prior of later models: m->direction and m->rest. The ridge's factor is that of a model of typical gaps.
LOCUSI_FN void locusi_learn_directions(locusi_learner *l)
{
    locusi_recall *m = l->m;
    const size_t p = m->landmarks, d = m->directions, step = l->n / 64 + 1;
    double *vectors = m->spare, *value = vectors + p * d, trace = 0.0, open = 0.0, all = 0.0;
    size_t i, j, c;
    for (i = 0; i < l->n; i += step) { // what such a model leaves open about itself, at its own queries
        for (c = 0; c < p; c++) l->feature[c] = (double)l->phi[i * p + c];
        for (c = 0; c < p; c++) all += l->feature[c] * l->feature[c];
        locusi_solve_lower(l->ridge.factor, p, l->feature, 1);
        for (c = 0; c < p; c++) open += l->feature[c] * l->feature[c];
    }
    m->rest = all > 0.0 ? open / all : 1.0;
    if (!d) return;
    locusi_product(l->ridge.k, l->theta, 1, p, p, l->models, l->theta, p, 16, p, l->ridge.normal, p, 0);
    for (i = 0; i < p * p; i++) {
        l->ridge.factor[i] = (double)l->ridge.normal[i] / (m->own * (double)l->models);
        trace += i % (p + 1) ? 0.0 : l->ridge.factor[i];
    }
    locusi_top_eigen(l->ridge.factor, p, d, vectors, value, value + d);
    for (j = 0; j < d; j++) {
        const double v = value[j] > 0.0 ? value[j] : 0.0;
        trace -= v;
        for (c = 0; c < p; c++) l->feature[c] = sqrt(v) * vectors[c * d + j];
        locusi_recall_weights(m, l->feature, l->weight);
        for (c = 0; c < p; c++) m->direction[j * p + c] = (float)l->weight[c];
    }
    m->rest += trace > 0.0 ? trace / (double)p : 0.0;
}

LOCUSI_FN double locusi_step(double gradient, double curvature, double most) // of Newton's method, held back
{
    return locusi_clamp(gradient / curvature, -most, most);
}

// l->slope, l->intercept and the models' abilities: the posterior's mode, coordinate by coordinate. Intercepts are
// drawn to what the encodings tell, in l->z; abilities start at the means.
LOCUSI_FN void locusi_learn_items(locusi_learner *l)
{
    const size_t n = l->n, models = l->models;
    const double slopes = 1.0 / (LOCUSI_SD_SLOPE * LOCUSI_SD_SLOPE);
    const double intercepts = 1.0 / (LOCUSI_SD_INTERCEPT * LOCUSI_SD_INTERCEPT);
    double *slope = l->slope, *intercept = l->intercept, *ability = l->ability, mean = 0.0, variance = 0.0;
    size_t i, j, round, twice;
    for (i = 0; i < n; i++) l->z[i] = l->f[i] / locusi_deviation(l->m->mean);
    for (i = 0; i < n; i++) slope[i] = 1.0, intercept[i] = l->z[i];
    for (j = 0; j < models; j++) ability[j] = log(l->mu[j] / (1.0 - l->mu[j]));
    for (round = 0;; round++) {
        mean = 0.0;
        for (j = 0; j < models; j++) mean += ability[j] / (double)models;
        if (round == 20) break;
        for (i = 0; i < n; i++)
            for (twice = 0; twice < 2; twice++) {
                double gi = intercepts * (l->z[i] - intercept[i]), hi = intercepts;
                double gs = -slopes * log(slope[i]), hs = slopes, step;
                for (j = 0; j < models; j++) {
                    const float y = l->y[i * l->width + j];
                    const double away = slope[i] * (ability[j] - mean);
                    double p;
                    if (locusi_is_nan(y)) continue;
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
                const float y = l->y[i * l->width + j];
                double p;
                if (locusi_is_nan(y)) continue;
                p = locus_probability(slope[i] * ability[j] + intercept[i]);
                g += slope[i] * ((double)y - p);
                h += slope[i] * slope[i] * p * (1.0 - p);
            }
            ability[j] += locusi_step(g, h, 0.5);
        }
    }
    for (j = 0; j < models; j++) variance += (ability[j] - mean) * (ability[j] - mean) / (double)models;
    l->m->ability = mean;
    l->m->spread = sqrt(variance > 0.09 ? variance : 0.09);
}

LOCUSI_FN void locusi_learner_take(locusi_learner *l, size_t space, locusi_work *w)
{
    locusi_recall *m = l->m;
    const size_t n = l->n, p = m->landmarks, models = l->models;
    locusi_recall_take(m, w);
    locusi_recall_take_learning(m, w);
    locusi_panel_take(&l->panel, n, p, w);
    locusi_cloud_take(&l->cloud, m->q, space, w);
    locusi_ridge_take(&l->ridge, n, p, w);
    l->q = locusi_take_floats(w, n, m->q);
    l->x = locusi_take_floats(w, n, m->rank);
    locusi_take_arrays(w, 2, n, p, &l->kernels, &l->phi);
    locusi_take_arrays(w, 2, n, 1, &l->w, &l->shares);
    l->y = locusi_take_floats(w, n, l->width);
    l->h = locusi_take_zeros(w, n, l->width);
    l->theta = locusi_take_zeros(w, models, p);
    l->row = (size_t *)locusi_take(w, n, sizeof(size_t));
    l->asked = (double *)locusi_take_zero(w, n, sizeof(double));
    l->answered = (double *)locusi_take_zero(w, models, sizeof(double));
    l->t = (double *)locusi_take_zero(w, n, sizeof(double));
    locusi_take_doubles(w, 4, n, 1, &l->z, &l->f, &l->slope, &l->intercept);
    locusi_take_doubles(w, 3, models, 1, &l->mu, &l->sd, &l->ability);
    locusi_take_doubles(w, 1, n, LOCUSI_TARGETS, &l->targets);
    locusi_take_doubles(w, 1, p, 2 * LOCUSI_TARGETS, &l->right);
    locusi_take_doubles(w, 2, p, 1, &l->feature, &l->weight);
    l->known = (locusi_known *)locusi_take(w, n, sizeof(locusi_known));
}

// The evaluations as they will be needed: rows that no model has a score on are left out, for they may hold anything.
LOCUSI_FN void locusi_learn_scores(locusi_learner *l, const locus_evals *e)
{
    const size_t stride = e->queries.stride ? e->queries.stride : e->queries.dim;
    double mean = 0.0, cells = 0.0;
    size_t row, i, j;
    l->full = 1;
    for (row = i = 0; row < e->queries.count; row++) {
        float *y = l->y + i * l->width;
        if (!locusi_scored(e, row)) continue;
        memcpy(l->q + i * l->m->q, e->queries.encodings + row * stride, l->m->q * sizeof(float));
        for (j = 0; j < l->width; j++) y[j] = locusi_nan();
        for (j = 0; j < l->models; j++) {
            float score;
            if (!locusi_score(e, j, row, &score)) continue;
            y[j] = score;
            mean += (double)score;
            l->asked[i] += 1.0;
            l->answered[j] += 1.0;
        }
        l->row[i] = row;
        l->known[i].hash = locusi_encoding_hash(l->q + i * l->m->q, l->m->q);
        l->known[i].at = i;
        cells += l->asked[i];
        l->full &= l->asked[i] >= (double)l->models;
        i++;
    }
    locusi_sort(l->known, l->n, sizeof *l->known, locusi_known_order);
    l->m->mean = mean / cells;
    for (j = 0; j < l->models; j++) l->sd[j] = locusi_deviation(l->m->mean);
}

// Learn from checked evaluations. m->q is set and all else zero, but for its ratios where they are known. others:
// encodings that the space is learned from in place of the evaluated ones, or NULL. What it makes stands in w.
LOCUSI_FN locus_status locusi_recall_learn(locusi_recall *m, const locusi_kernels *k, const locus_evals *e,
                                           const locus_queries *others, locusi_recall_fit *fit, locusi_work *w,
                                           locus_error *err)
{
    const size_t models = e->scores.models;
    double *const scalar[5] = {&m->mean, &m->pull, &m->own, &m->noise, &m->rest};
    size_t i, j, c, p, round;
    locusi_learner l;
    locus_queries rows;
    locus_status status;
    memset(&l, 0, sizeof l);
    memset(&rows, 0, sizeof rows);
    for (i = 0; i < e->queries.count; i++) l.n += locusi_scored(e, i) != 0;
    l.m = m;
    l.models = models;
    l.width = locusi_pad(models);
    l.given = m->ratio[0] > 0.0 && m->ratio[1] > 0.0;
    l.item = 0.2;
    p = LOCUSI_RECALL_LANDMARKS;
    if (p > l.n && p - l.n > (others ? others->count : 0)) p = l.n + (others ? others->count : 0);
    p = m->landmarks = locusi_pad(p);
    m->rank = m->q < LOCUSI_RECALL_RANK ? locusi_pad(m->q + 1) : LOCUSI_RECALL_RANK;
    m->seen = fit->bare ? 0 : l.n;
    m->directions = fit->bare ? 0 : models < LOCUSI_RECALL_DIRECTIONS ? models : LOCUSI_RECALL_DIRECTIONS;
    if (m->directions > p / 4) m->directions = p / 4; // scratch has that room
    locusi_learner_take(&l, others ? others->count : l.n, w);
    locusi_take_arrays(w, 2, models, p, &fit->rows, &fit->own);
    fit->base = locusi_take_floats(w, models, 1);
    fit->item = (double *)locusi_take_zero(w, e->queries.count, sizeof(double));
    if ((status = locusi_work_short(w, err))) return status;
    locusi_learn_scores(&l, e);
    rows.encodings = l.q;
    rows.count = l.n;
    rows.dim = m->q;
    locusi_recall_map(m, &l.cloud, k, others ? others : &rows);
    locusi_learn_landmarks(&l, k, others);
    if (!locusi_recall_prepare(m, k))
        return locusi_fail(err, LOCUS_ERR_NONFINITE, "recall", "encodings of sensible size", "others");
    locusi_recall_kernels(m, k, l.q, m->q, l.n, l.x, l.kernels);
    locusi_matmul_run(k, l.kernels, p, l.n, p, m->features, p, l.phi, p, NULL, NULL, 0, 0);
    l.ridge.k = k, l.ridge.phi = l.phi;
    m->noise = 0.6;
    for (round = 0; round < 3; round++) {
        locusi_learn_means(&l);
        locusi_learn_shared(&l);
        locusi_learn_own_ratio(&l);
        locusi_learn_own(&l);
    }
    locusi_learn_directions(&l);
    for (i = 0; i < 5; i++) *scalar[i] = (double)(float)*scalar[i]; // as in files
    for (j = 0; j < models; j++) {
        for (c = 0; c < p; c++) l.feature[c] = (double)l.theta[j * p + c];
        locusi_recall_weights(m, l.feature, l.weight);
        for (c = 0; c < p; c++) {
            fit->rows[j * p + c] = (float)(((double)m->shared[c] + l.weight[c]) * l.sd[j]);
            fit->own[j * p + c] = (float)l.weight[c];
        }
        fit->base[j] = (float)l.mu[j];
    }
    for (i = 0; i < l.n; i++) fit->item[l.row[i]] = l.t[i] - l.f[i];
    if (fit->bare) return LOCUS_OK;
    locusi_learn_items(&l);
    for (i = 0; i < l.n; i++) {
        const size_t at = l.known[i].at;
        m->known[i] = l.known[i].hash;
        m->difficulty[i] = (float)l.t[at];
        m->items[2 * i] = (float)l.slope[at];
        m->items[2 * i + 1] = (float)l.intercept[at];
    }
    return LOCUS_OK;
}

// ---- one model's part from its own evaluations, with the rest of the recall as it is

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
    double *coefficient; // [landmarks] h_m in similarities
    locusi_ridge r;
} locusi_own;

LOCUSI_FN void locusi_own_take(locusi_own *o, const locusi_recall *recall, size_t all, locusi_work *w)
{
    const size_t p = recall->landmarks;
    memset(o, 0, sizeof *o);
    o->m = *recall;
    locusi_recall_take_learning(&o->m, w);
    locusi_ridge_take(&o->r, all, p, w);
    o->q = locusi_take_floats(w, all, recall->q);
    o->x = locusi_take_floats(w, all, recall->rank);
    o->w = locusi_take_floats(w, all, 1);
    locusi_take_arrays(w, 2, all, p, &o->kernels, &o->phi);
    locusi_take_doubles(w, 3, all, 1, &o->t, &o->score, &o->difference);
    locusi_take_doubles(w, 2, p, 1, &o->theta, &o->coefficient);
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

// From evals (one model; checked) to the coefficients; the factor stays for more of them.
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
        const size_t place = locusi_recall_place(&o->m, o->q + i * o->m.q);
        o->w[i] = (float)(o->m.own / o->m.noise);
        o->t[i] = place != SIZE_MAX ? (double)o->m.difficulty[place] : 0.0;
        for (c = 0; place == SIZE_MAX && c < p; c++) o->t[i] += (double)o->m.shared[c] * (double)o->kernels[i * p + c];
        o->scores += o->score[i];
        o->difficulties += o->t[i];
    }
    locusi_own_mean(&o->m, o->m.mean, (double)o->n, o->scores, o->difficulties, &o->mu, &o->sd);
    for (i = 0; i < o->n; i++) o->difference[i] = (o->score[i] - o->mu) / o->sd - o->t[i];
    o->r.k = k, o->r.phi = o->phi, o->r.n = o->n;
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
            return locusi_fail(err, LOCUS_ERR_POOL, "recall", "sensible numbers", "others, as a part of them shows");
    }
    *base = (float)(o->m.logits ? log(mu / (1.0 - mu)) : mu);
    return LOCUS_OK;
}

// ---------------------------------------------------------------------------------------------------------- >>pool
//
// In a file: the tensors of locusi_pool_shapes (pool.names: each name and a zero byte; pool.calibration: scale and
// shift of each model and last the pool's; pool.guard: the default model's index and the margin; memory.*: the recall)
// and metadata locus.format "1", locus.net_hash (16 hex digits), locus.query_encoder, locus.q_dim, and
// locus.encoder_hash where the predictor stands in the same file.
// In memory each model also has its part of the predictor's hidden layer, W_z z + b (see >>predictor). Names are found
// by a hash table.

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
    size_t *directory;       // hash table of names: 1 + the model's index, 0: empty
    size_t directory_size;   // a power of two, at least twice the capacity
    uint64_t salt;           // of the hash, so that no file can be made to be slow
    locusi_recall memory;    // landmarks 0: none
    float *recall;           // packed [landmarks -> padded capacity] the models' rows, see >>recall
    float *recall_base;      // [capacity]
    unsigned char *recalled; // [capacity] 1: the model has a row
    locusi_block *remembers; // of the heap: what the recall stands in
    locusi_work home;        // what this struct stands in; in the caller's memory, all else too
    locusi_work room;        // of the heap: what depends on the capacity
    char query_encoder[96];
};

LOCUSI_FN float *locusi_recall_at(const locus_pool *pool, size_t model, size_t landmark)
{
    return pool->recall + locusi_packed(model, landmark, pool->memory.landmarks);
}

// ---- names

// Where the probing for a name begins. Places are probed one after the other.
LOCUSI_FN size_t locusi_pool_place(const locus_pool *pool, const char *name)
{
    uint64_t h = pool->salt;
    size_t n = strlen(name), i;
    for (i = 0; i < n; i += 8) {
        uint64_t word = 0;
        memcpy(&word, name + i, n - i < 8 ? n - i : 8);
        h = locusi_mix(h ^ word) + 0x9e3779b97f4a7c15u;
    }
    return (size_t)h & (pool->directory_size - 1);
}

LOCUSI_FN void locusi_pool_name(locus_pool *pool, size_t index)
{
    size_t at = locusi_pool_place(pool, pool->models[index].name);
    while (pool->directory[at]) at = (at + 1) & (pool->directory_size - 1);
    pool->directory[at] = index + 1;
}

LOCUSI_FN void locusi_pool_name_all(locus_pool *pool)
{
    size_t i;
    memset(pool->directory, 0, pool->directory_size * sizeof(size_t));
    for (i = 0; i < pool->count; i++) locusi_pool_name(pool, i);
}

LOCUS_API size_t locus_pool_find(const locus_pool *pool, const char *name)
{
    size_t at;
    if (!pool || !name || !pool->capacity) return SIZE_MAX;
    for (at = locusi_pool_place(pool, name); pool->directory[at]; at = (at + 1) & (pool->directory_size - 1))
        if (!strcmp(pool->models[pool->directory[at] - 1].name, name)) return pool->directory[at] - 1;
    return SIZE_MAX;
}

// ---- room

// All that depends on the capacity, from w.
LOCUSI_FN void locusi_pool_take(locus_pool *pool, size_t capacity, locusi_work *w)
{
    const size_t padded = capacity < SIZE_MAX - 15 ? locusi_pad(capacity) : capacity;
    pool->capacity = capacity;
    pool->models = (locus_model *)locusi_take(w, capacity, sizeof(locus_model));
    pool->z = locusi_take_floats(w, capacity, pool->net->dp);
    pool->hidden = locusi_take_floats(w, capacity, pool->net->gp);
    pool->calibration = (locus_calibration *)locusi_take(w, capacity, sizeof(locus_calibration));
    for (pool->directory_size = 2; pool->directory_size / 2 < capacity && pool->directory_size <= SIZE_MAX / 4;)
        pool->directory_size *= 2;
    pool->directory = (size_t *)locusi_take_zero(w, pool->directory_size, sizeof(size_t));
    if (!pool->memory.landmarks) return;
    pool->recall = locusi_take_zeros(w, padded, pool->memory.landmarks);
    pool->recall_base = locusi_take_zeros(w, padded, 1);
    pool->recalled = (unsigned char *)locusi_take_zero(w, capacity, 1);
}

// All that n models from `first` on have, but their names in the hash table, to place `at` of a pool with the same net
// and recall, perhaps the same pool.
LOCUSI_FN void locusi_pool_move(locus_pool *to, size_t at, const locus_pool *from, size_t first, size_t n)
{
    const size_t dp = to->net->dp, gp = to->net->gp;
    size_t i, k;
    if (!n) return;
    memmove(to->models + at, from->models + first, n * sizeof(locus_model));
    memmove(to->z + at * dp, from->z + first * dp, n * dp * sizeof(float));
    memmove(to->hidden + at * gp, from->hidden + first * gp, n * gp * sizeof(float));
    memmove(to->calibration + at, from->calibration + first, n * sizeof(locus_calibration));
    if (!to->memory.landmarks || !from->recall) return;
    memmove(to->recall_base + at, from->recall_base + first, n * sizeof(float));
    memmove(to->recalled + at, from->recalled + first, n);
    if (at == 0 && first == 0) memmove(to->recall, from->recall, locusi_pad(n) * to->memory.landmarks * sizeof(float));
    for (i = 0; i < n && (at || first); i++)
        for (k = 0; k < to->memory.landmarks; k++)
            *locusi_recall_at(to, at + i, k) = *locusi_recall_at(from, first + i, k);
}

// Make room for `capacity` models. *before (may be NULL) <- the old room, for the caller to end.
LOCUSI_FN locus_status locusi_pool_grow(locus_pool *pool, size_t capacity, locusi_work *before, locus_error *err)
{
    locus_pool bigger = *pool;
    locus_status status;
    if (pool->home.base)
        return locusi_fail(err, LOCUS_ERR_MEMORY, "pool", "room for one more model",
                           "%z places in the memory handed in", pool->capacity);
    locusi_work_begin(&bigger.room, NULL);
    locusi_pool_take(&bigger, capacity, &bigger.room);
    if ((status = locusi_work_short(&bigger.room, err))) {
        locusi_work_end(&bigger.room);
        return status;
    }
    locusi_pool_move(&bigger, 0, pool, 0, pool->count);
    locusi_pool_name_all(&bigger);
    if (before) *before = pool->room;
    else locusi_work_end(&pool->room);
    *pool = bigger;
    return LOCUS_OK;
}

// A growable pool's memory of these sizes, all zero, in a block of its own. The models' rows come with the next growth.
LOCUSI_FN locus_status locusi_pool_make_recall(locus_pool *pool, const locusi_recall *plan, locus_error *err)
{
    locusi_recall memory = *plan;
    locus_status status;
    locusi_work w;
    locusi_work_begin(&w, NULL);
    locusi_recall_take(&memory, &w);
    if ((status = locusi_work_short(&w, err))) return status;
    locusi_blocks_free(pool->remembers);
    pool->remembers = w.blocks;
    pool->memory = memory;
    pool->recall = NULL;
    return LOCUS_OK;
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

// plan: the recall's sizes.
LOCUSI_FN locus_status locusi_pool_create(locus_pool **out, const locus_net *net, size_t capacity,
                                          const char *query_encoder, const locusi_recall *plan, const locus_run *run,
                                          locus_error *err)
{
    locus_pool made, *pool;
    locus_status status;
    if (!out || !net) return locusi_null(err, out ? "net" : "out");
    *out = NULL;
    if ((status = locusi_check_query_encoder(net, &query_encoder, err))) return status;
    memset(&made, 0, sizeof made);
    locusi_work_begin(&made.home, run);
    pool = (locus_pool *)locusi_take(&made.home, 1, sizeof made);
    made.net = net;
    made.calibration_shared.scale = 1.0f;
    made.guard.model = SIZE_MAX;
    made.salt = locusi_mix((uint64_t)(uintptr_t)pool);
    memcpy(made.query_encoder, query_encoder, strlen(query_encoder) + 1);
    if (made.home.base) { // all in the caller's memory
        made.memory = *plan;
        if (plan->landmarks) locusi_recall_take(&made.memory, &made.home);
        locusi_pool_take(&made, capacity, &made.home);
    }
    status = locusi_work_short(&made.home, err);
    if (!status && !made.home.base && plan->landmarks) status = locusi_pool_make_recall(&made, plan, err);
    if (!status && !made.home.base && capacity) status = locusi_pool_grow(&made, capacity, NULL, err);
    if (status) {
        locusi_blocks_free(made.remembers);
        locusi_work_end(&made.home);
        return status;
    }
    *pool = made;
    *out = pool;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_pool_create(locus_pool **out, const locus_net *net, size_t capacity,
                                         const char *query_encoder, const locus_run *run, locus_error *err)
{
    locusi_recall none;
    memset(&none, 0, sizeof none);
    return locusi_pool_create(out, net, capacity, query_encoder, &none, run, err);
}

LOCUS_API void locus_pool_destroy(locus_pool *pool)
{
    locusi_work home;
    if (!pool) return;
    home = pool->home; // the pool stands in it
    locusi_work_end(&pool->room);
    locusi_blocks_free(pool->remembers);
    locusi_work_end(&home);
}

// An empty pool like another: its net, recall and calibration, room for `count` models.
LOCUSI_FN locus_status locusi_pool_like(locus_pool **out, const locus_pool *pool, size_t count, const locus_run *run,
                                        locus_error *err)
{
    const locus_status status = locusi_pool_create(out, pool->net, count, pool->query_encoder, &pool->memory, run, err);
    if (status) return status;
    (*out)->calibrated = pool->calibrated;
    (*out)->calibration_shared = pool->calibration_shared;
    if (!pool->memory.landmarks) return LOCUS_OK;
    memcpy((*out)->memory.known, pool->memory.known, pool->memory.floats * sizeof(float));
    locusi_recall_pack(&(*out)->memory, pool->net->kernels);
    return LOCUS_OK;
}

LOCUS_API locus_status locus_pool_copy(locus_pool **out, const locus_pool *pool, const locus_run *run, locus_error *err)
{
    locus_status status;
    if (!out) return locusi_null(err, "out");
    *out = NULL;
    if (!pool) return locusi_null(err, "pool");
    if ((status = locusi_pool_like(out, pool, pool->count, run, err))) return status;
    locusi_pool_move(*out, 0, pool, 0, pool->count);
    (*out)->count = pool->count;
    (*out)->guard = pool->guard;
    if (pool->count) locusi_pool_name_all(*out);
    return LOCUS_OK;
}

// ---- models

LOCUS_API size_t locus_pool_count(const locus_pool *pool) { return pool ? pool->count : 0; }

LOCUS_API const locus_model *locus_pool_model(const locus_pool *pool, size_t index)
{
    return pool && index < pool->count ? &pool->models[index] : NULL;
}

LOCUS_API const float *locus_pool_embedding(const locus_pool *pool, size_t index)
{
    return pool && index < pool->count ? pool->z + index * pool->net->dp : NULL;
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
    if (!locusi_amount((double)model->parameters_b))
        return locusi_fail(err, LOCUS_ERR_POOL, "parameters_b of \"%s\"", "not negative, or NaN for unknown", "%f",
                           model->name, (double)model->parameters_b);
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_pool_check_index(const locus_pool *pool, size_t index, locus_error *err)
{
    if (!pool) return locusi_null(err, "pool");
    if (index < pool->count) return LOCUS_OK;
    return locusi_fail(err, LOCUS_ERR_ARGUMENT, "index", "below %z", "%z", pool->count, index);
}

// W_z z + b of models [first, first + n).
LOCUSI_FN void locusi_pool_hide(locus_pool *pool, size_t first, size_t n)
{
    const locus_net *net = pool->net;
    if (n)
        locusi_matmul_run(net->kernels, pool->z + first * net->dp, net->dp, n, net->d, net->hz, net->gp,
                          pool->hidden + first * net->gp, net->gp, net->h_bias, NULL, 0, 0);
}

// Store what is given, which may be the pool's own. index: of a model, or the place behind the last.
LOCUSI_FN void locusi_pool_store(locus_pool *pool, size_t index, const locus_model *model, const float *z)
{
    const locus_net *net = pool->net;
    if (model) {
        const int renamed = index < pool->count && strcmp(pool->models[index].name, model->name);
        memmove(&pool->models[index], model, sizeof *model);
        pool->models[index].available = model->available != 0;
        if (index == pool->count) locusi_pool_name(pool, index);
        else if (renamed) locusi_pool_name_all(pool);
    }
    if (z) {
        float *to = pool->z + index * net->dp;
        memmove(to, z, net->d * sizeof(float));
        memset(to + net->d, 0, (net->dp - net->d) * sizeof(float));
        locusi_pool_hide(pool, index, 1);
    }
}

LOCUS_API locus_status locus_pool_add(locus_pool *pool, const locus_model *model, const float *z, size_t *index,
                                      locus_error *err)
{
    locusi_work before;
    locus_status status;
    if (!pool || !model || !z) return locusi_null(err, !pool ? "pool" : !model ? "model" : "z");
    if ((status = locusi_pool_check(pool, model, z, SIZE_MAX, err))) return status;
    locusi_work_begin(&before, NULL); // kept until the end: model and z may stand in it
    if (pool->count == pool->capacity &&
        (status = locusi_pool_grow(pool, pool->capacity < 8 ? 8 : 2 * pool->capacity, &before, err)))
        return status;
    locusi_pool_store(pool, pool->count, model, z);
    locusi_work_end(&before);
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
    if ((status = locusi_pool_check_index(pool, index, err)) ||
        (status = locusi_pool_check(pool, model, z, index, err)))
        return status;
    locusi_pool_store(pool, index, model, z);
    return LOCUS_OK;
}

LOCUS_API locus_status locus_pool_set_available(locus_pool *pool, size_t index, int available, locus_error *err)
{
    const locus_status status = locusi_pool_check_index(pool, index, err);
    if (!status) pool->models[index].available = available != 0;
    return status;
}

LOCUS_API locus_status locus_pool_set_cost(locus_pool *pool, size_t index, double cost, locus_error *err)
{
    locus_model model;
    locus_status status = locusi_pool_check_index(pool, index, err);
    if (status) return status;
    model = pool->models[index];
    model.cost = cost;
    return locus_pool_set(pool, index, &model, NULL, err);
}

LOCUS_API locus_status locus_pool_rename(locus_pool *pool, size_t index, const char *name, locus_error *err)
{
    locus_model model;
    locus_status status = locusi_pool_check_index(pool, index, err);
    if (status) return status;
    if (!name) return locusi_null(err, "name");
    model = pool->models[index];
    memset(model.name, 0, sizeof model.name);
    if (strlen(name) < sizeof model.name) memcpy(model.name, name, strlen(name)); // else none, which is refused
    return locus_pool_set(pool, index, &model, NULL, err);
}

LOCUS_API locus_status locus_pool_remove(locus_pool *pool, size_t index, locus_error *err)
{
    const locus_status status = locusi_pool_check_index(pool, index, err);
    if (status) return status;
    if (pool->guard.model == index) pool->guard.model = SIZE_MAX;
    else if (pool->guard.model > index && pool->guard.model != SIZE_MAX) pool->guard.model--;
    pool->count--;
    locusi_pool_move(pool, index, pool, index + 1, pool->count - index);
    locusi_pool_name_all(pool);
    return LOCUS_OK;
}

LOCUS_API locus_pool_info locus_pool_get_info(const locus_pool *pool)
{
    locus_pool_info info;
    size_t i;
    memset(&info, 0, sizeof info);
    info.guard.model = SIZE_MAX;
    info.calibration.scale = 1.0f;
    if (!pool) return info;
    info.query_encoder = pool->query_encoder;
    info.guard = pool->guard;
    info.calibrated = pool->calibrated;
    info.calibration = pool->calibration_shared;
    if (!pool->memory.landmarks) return info;
    info.recall.landmarks = pool->memory.landmarks;
    info.recall.queries = pool->memory.seen;
    info.recall.weight = (double)pool->memory.weight;
    for (i = 0; i < pool->count; i++) info.recall.models += pool->recalled[i] != 0;
    return info;
}

LOCUS_API locus_calibration locus_pool_calibration(const locus_pool *pool, size_t index)
{
    locus_calibration none = {1.0f, 0.0f};
    if (!pool || !pool->calibrated) return none;
    return index < pool->count ? pool->calibration[index] : pool->calibration_shared;
}

LOCUSI_FN void locusi_pool_uncalibrate(locus_pool *pool)
{
    size_t i;
    pool->calibrated = 0;
    pool->calibration_shared.scale = 1.0f;
    pool->calibration_shared.shift = 0.0f;
    for (i = 0; i < pool->count; i++) pool->calibration[i] = pool->calibration_shared;
}

LOCUS_API locus_status locus_pool_set_guard(locus_pool *pool, size_t model, double margin, locus_error *err)
{
    if (!pool) return locusi_null(err, "pool");
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

LOCUS_API locus_status locus_pool_set_recall(locus_pool *pool, double weight, locus_error *err)
{
    if (!pool) return locusi_null(err, "pool");
    if (!locusi_within(weight, 0.0, 1.0)) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "weight", "0 to 1", "%f", weight);
    if (weight > 0.0 && !pool->memory.landmarks)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "pool", "a pool with a recall", "one without");
    pool->memory.weight = (float)weight;
    if (weight > 0.0) return LOCUS_OK;
    locusi_blocks_free(pool->remembers);
    pool->remembers = NULL;
    memset(&pool->memory, 0, sizeof pool->memory);
    return LOCUS_OK;
}

// Encodings that a recall can take; e NULL: all rows, else those that a model has a score on.
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

LOCUSI_FN void locusi_pool_set_row(locus_pool *pool, size_t index, const float *row, float base)
{
    size_t i;
    for (i = 0; i < pool->memory.landmarks; i++) *locusi_recall_at(pool, index, i) = row[i];
    pool->recall_base[index] = base;
    pool->recalled[index] = 1;
}

// The pool's recall <- what was learned. On failure the pool is as before.
LOCUSI_FN locus_status locusi_pool_take_recall(locus_pool *pool, const locusi_recall *learned,
                                               const locusi_recall_fit *fit, locus_error *err)
{
    const locus_pool before = *pool;
    locus_status status;
    size_t m;
    pool->remembers = NULL;
    status = locusi_pool_make_recall(pool, learned, err);
    if (!status) status = locusi_pool_grow(pool, pool->capacity, NULL, err);
    if (status) {
        locusi_blocks_free(pool->remembers);
        *pool = before;
        return status;
    }
    locusi_blocks_free(before.remembers);
    memcpy(pool->memory.known, learned->known, learned->floats * sizeof(float));
    for (m = 0; m < pool->count; m++) locusi_pool_set_row(pool, m, fit->rows + m * learned->landmarks, fit->base[m]);
    return LOCUS_OK;
}

// A model of which the name alone is known.
LOCUSI_FN locus_status locusi_new_model(locus_model *model, const char *name, locus_error *err)
{
    memset(model, 0, sizeof *model);
    if (!locusi_valid_name(name, sizeof model->name))
        return locusi_fail(err, LOCUS_ERR_NAME, "name", "UTF-8 of at most %z bytes", "other", sizeof model->name - 1);
    memcpy(model->name, name, strlen(name));
    model->parameters_b = locusi_nan();
    model->cost = (double)locusi_nan();
    model->available = 1;
    return LOCUS_OK;
}

// One model's evaluations, for a pool: checked.
LOCUSI_FN locus_status locusi_check_model(const locus_pool *pool, const locus_evals *evals, locus_error *err)
{
    locus_status status;
    if (!pool || !evals) return locusi_null(err, pool ? "evals" : "pool");
    if (evals->scores.models != 1)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "evals->scores.models", "1", "%z", evals->scores.models);
    if ((status = locusi_check_evals(pool->net, evals, err))) return status;
    return pool->memory.landmarks ? locusi_check_lengths(&pool->memory, &evals->queries, evals, err) : LOCUS_OK;
}

LOCUS_API locus_status locus_pool_recall_model(locus_pool *pool, size_t index, const locus_evals *evals,
                                               const locus_run *run, locus_error *err)
{
    locusi_work w;
    locusi_own own;
    float *row, base = 0.0f;
    locus_status status = locusi_check_model(pool, evals, err);
    if (status) return status;
    if (index >= pool->count)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "index", "below %z", "%z", pool->count, index);
    if (!pool->memory.landmarks)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "pool", "a pool with a recall (locus_pool_learn)", "one without");
    locusi_work_begin(&w, run);
    locusi_own_take(&own, &pool->memory, evals->queries.count, &w);
    row = (float *)locusi_take(&w, pool->memory.landmarks, sizeof(float));
    status = locusi_work_short(&w, err);
    if (!status) status = locusi_own_fit(&own, pool->net->kernels, evals, err);
    if (!status) status = locusi_own_row(&own, own.coefficient, own.mu, own.sd, row, &base, err);
    if (!status) locusi_pool_set_row(pool, index, row, base);
    locusi_work_end(&w);
    return status;
}

LOCUS_API locus_status locus_pool_join(locus_pool *pool, const char *name, const locus_evals *evals, size_t *index,
                                       const locus_run *run, locus_error *err)
{
    locusi_work w;
    locusi_own own;
    locus_run rest;
    locus_model model;
    float *z, *row = NULL, base = 0.0f;
    size_t at, i;
    locus_status status = locusi_check_model(pool, evals, err);
    if (status) return status;
    if (!name) return locusi_null(err, "name");
    at = locus_pool_find(pool, name);
    if (at != SIZE_MAX) model = *locus_pool_model(pool, at);
    else if ((status = locusi_new_model(&model, name, err))) return status;
    for (i = model.evaluations = 0; i < evals->queries.count; i++)
        model.evaluations += (uint64_t)locusi_scored(evals, i);
    locusi_work_begin(&w, run);
    z = (float *)locusi_take(&w, pool->net->d, sizeof(float));
    if (pool->memory.landmarks) {
        locusi_own_take(&own, &pool->memory, evals->queries.count, &w);
        row = (float *)locusi_take(&w, pool->memory.landmarks, sizeof(float));
    }
    rest = locusi_work_rest(&w, run);
    if (w.missing && !w.base) status = locusi_work_short(&w, err);
    else status = locus_encode(pool->net, evals, z ? z : &base, LOCUS_ENCODE_AUTO, &rest, err); // z NULL: asks how much
    status = locusi_work_within(&w, status, err);
    if (!status && row) status = locusi_own_fit(&own, pool->net->kernels, evals, err);
    if (!status && row) status = locusi_own_row(&own, own.coefficient, own.mu, own.sd, row, &base, err);
    if (!status)
        status = at != SIZE_MAX ? locus_pool_set(pool, at, &model, z, err) : locus_pool_add(pool, &model, z, &at, err);
    if (!status && row) locusi_pool_set_row(pool, at, row, base);
    if (!status && index) *index = at;
    locusi_work_end(&w);
    return status;
}

// ---- files

// Tensors: name, type, and a letter a dimension. Sizes: M models, C one more; n bytes of names; d, q the net's. The
// recall's: p landmarks, r rank, k evaluated queries, K one more, s scalars, D directions. ?: not all files have it.
#define LOCUSI_POOL_FILE(X)                                                                                            \
    X(EMBEDDINGS, "pool.embeddings", "F32", "Md")                                                                      \
    X(NAMES, "pool.names", "U8", "n")                                                                                  \
    X(PARAMETERS, "pool.parameters_b", "F32", "M")                                                                     \
    X(COST, "pool.cost", "F64", "M") /* F32 until version 0.3 */                                                       \
    X(AVAILABLE, "pool.available", "U8", "M")                                                                          \
    X(EVALUATIONS, "pool.evaluations", "I64", "M")                                                                     \
    X(CALIBRATION, "pool.calibration", "F32", "?C2")                                                                   \
    X(GUARD, "pool.guard", "F64", "?2")                                                                                \
    X(MAP, "memory.map", "F32", "rq") /* the first of the recall's */                                                  \
    X(MAP_BIAS, "memory.map_bias", "F32", "r")                                                                         \
    X(POINTS, "memory.landmarks", "F32", "pr")                                                                         \
    X(SHARED, "memory.shared", "F32", "p")                                                                             \
    X(ROWS, "memory.rows", "F32", "Mp")                                                                                \
    X(BASE, "memory.base", "F32", "M")                                                                                 \
    X(RECALLED, "memory.recalled", "U8", "M")                                                                          \
    X(KNOWN, "memory.known", "I64", "k")                                                                               \
    X(DIFFICULTY, "memory.difficulty", "F32", "k")                                                                     \
    X(SCALARS, "memory.scalars", "F32", "s")                                                                           \
    X(ITEMS, "memory.items", "F32", "?K2")                                                                             \
    X(DIRECTION, "memory.directions", "F32", "?Dp")

#define LOCUSI_FILE_ENUM(id, name, dtype, shape) LOCUSI_FILE_##id,
#define LOCUSI_FILE_SHAPE(id, name, dtype, shape) {name, dtype, shape},
enum { LOCUSI_POOL_FILE(LOCUSI_FILE_ENUM) LOCUSI_POOL_TENSORS };
static const locusi_shape locusi_pool_shapes[LOCUSI_POOL_TENSORS] = {LOCUSI_POOL_FILE(LOCUSI_FILE_SHAPE)};

typedef struct locusi_pool_file {
    locus_pool *pool;
    locusi_sizes sizes;
    const locus_tensor *tensor[LOCUSI_POOL_TENSORS]; // NULL: there is none
    double guard[2];
    float scalars[LOCUSI_RECALL_SCALARS], abilities[2];
} locusi_pool_file;

LOCUSI_FN void locusi_pool_sizes(locusi_pool_file *f, const locus_net *net, size_t models, size_t names,
                                 const locusi_recall *m)
{
    size_t *to = f->sizes;
    to[+'2'] = 2, to[+'M'] = models, to[+'C'] = models + 1, to[+'n'] = names, to[+'d'] = net->d, to[+'q'] = net->q;
    to[+'p'] = m->landmarks, to[+'r'] = m->rank, to[+'k'] = m->seen, to[+'K'] = m->seen + 1, to[+'D'] = m->directions;
    to[+'s'] = m->logits ? 2 : LOCUSI_RECALL_SCALARS;
}

// Where row i of a tensor begins in the pool, its numbers of the file's size and `step` numbers apart; NULL: names and
// availability, which are other than in the file.
LOCUSI_FN void *locusi_pool_row(locusi_pool_file *f, size_t k, size_t i, size_t *step)
{
    locus_pool *p = f->pool;
    locusi_recall *m = &p->memory;
    *step = 1;
    switch (k) {
    case LOCUSI_FILE_EMBEDDINGS: return p->z + i * p->net->dp;
    case LOCUSI_FILE_PARAMETERS: return &p->models[i].parameters_b;
    case LOCUSI_FILE_COST: return &p->models[i].cost;
    case LOCUSI_FILE_EVALUATIONS: return &p->models[i].evaluations;
    case LOCUSI_FILE_CALIBRATION: return i < f->sizes[+'M'] ? &p->calibration[i] : &p->calibration_shared;
    case LOCUSI_FILE_GUARD: return &f->guard[i];
    case LOCUSI_FILE_MAP: *step = 16; return m->map + locusi_packed(i, 0, m->q);
    case LOCUSI_FILE_MAP_BIAS: return m->map_bias + i;
    case LOCUSI_FILE_POINTS: return m->points + i * m->rank;
    case LOCUSI_FILE_SHARED: return m->shared + i;
    case LOCUSI_FILE_ROWS: *step = 16; return locusi_recall_at(p, i, 0);
    case LOCUSI_FILE_BASE: return p->recall_base + i;
    case LOCUSI_FILE_RECALLED: return p->recalled + i;
    case LOCUSI_FILE_KNOWN: return m->known + i;
    case LOCUSI_FILE_DIFFICULTY: return m->difficulty + i;
    case LOCUSI_FILE_SCALARS: return &f->scalars[i];
    case LOCUSI_FILE_ITEMS: return i < m->seen ? m->items + 2 * i : f->abilities;
    case LOCUSI_FILE_DIRECTION: return m->direction + i * m->landmarks;
    default: return NULL;
    }
}

// Numbers of tensor k between the file, where they stand one after the other at `data`, and the pool.
LOCUSI_FN void locusi_pool_copy_row(locusi_pool_file *f, size_t k, size_t i, unsigned char *data, size_t columns,
                                    size_t size, int to_file)
{
    size_t j, step, n;
    unsigned char *at = (unsigned char *)locusi_pool_row(f, k, i, &step);
    n = step == 1 ? columns : 1;
    for (j = 0; j < columns; j += n, at += step * size, data += n * size)
        locusi_copy_le(to_file ? data : at, to_file ? at : data, n, size);
}

// ---- the recall in a file (tensors memory.*)

LOCUSI_FN locus_status locusi_recall_check_sizes(const locusi_recall *m, locus_error *err)
{
    if (m->landmarks == 0 || m->landmarks % 16 || m->landmarks > LOCUSI_RECALL_LANDMARKS)
        return locusi_fail(err, LOCUS_ERR_POOL, "memory.landmarks", "a multiple of 16 up to %z", "%z",
                           LOCUSI_RECALL_LANDMARKS, m->landmarks);
    if (m->rank == 0 || m->rank % 16 || m->rank > LOCUSI_RECALL_RANK)
        return locusi_fail(err, LOCUS_ERR_POOL, "memory.map", "a multiple of 16 up to %z rows", "%z",
                           LOCUSI_RECALL_RANK, m->rank);
    if (m->directions > LOCUSI_RECALL_DIRECTIONS)
        return locusi_fail(err, LOCUS_ERR_POOL, "memory.directions", "at most %z rows", "%z", LOCUSI_RECALL_DIRECTIONS,
                           m->directions);
    return LOCUS_OK;
}

// From numbers that have been read.
LOCUSI_FN void locusi_recall_loaded(locusi_pool_file *f)
{
    const float *x = f->scalars;
    locus_pool *pool = f->pool;
    locusi_recall *m = &pool->memory;
    size_t i;
    m->weight = x[0] >= 0.0f && x[0] <= 1.0f ? x[0] : 0.5f;
    m->mean = x[1] > 0.0f && x[1] < 1.0f ? (double)x[1] : 0.5;
    m->pull = m->logits ? 13.0 : locusi_clamp((double)x[2], 0.0, 1e6); // what version 0.3 took for every pool
    m->own = m->logits ? 0.031 : locusi_clamp((double)x[3], 1e-6, 10.0);
    m->noise = m->logits ? 0.62 : locusi_clamp((double)x[4], 1e-2, 10.0);
    m->rest = m->logits ? 1.0 : locusi_clamp((double)x[5], 1e-3, 10.0);
    if (f->tensor[LOCUSI_FILE_ITEMS]) {
        m->ability = locusi_clamp((double)f->abilities[0], -20.0, 20.0);
        m->spread = locusi_clamp((double)f->abilities[1], 0.1, 10.0);
    }
    for (i = 0; i < pool->count; i++) pool->recalled[i] = pool->recalled[i] != 0;
    locusi_recall_pack(m, pool->net->kernels);
}

// Numbers to be written.
LOCUSI_FN void locusi_recall_saved(locusi_pool_file *f)
{
    const locusi_recall *m = &f->pool->memory;
    const float scalars[LOCUSI_RECALL_SCALARS] = {m->weight,     (float)m->mean,  (float)m->pull,
                                                  (float)m->own, (float)m->noise, (float)m->rest};
    memcpy(f->scalars, scalars, sizeof scalars);
    f->abilities[0] = (float)m->ability;
    f->abilities[1] = (float)m->spread;
}

// ---- reading and writing

// Everything about a pool's file but its values; the tensors and sizes go to f and the recall's sizes to plan.
LOCUSI_FN locus_status locusi_pool_check_file(locusi_pool_file *f, const locus_net *net, const locus_safetensors *st,
                                              locusi_recall *plan, locus_error *err)
{
    char hash[24], q_dim[24];
    const struct {
        const char *key, *text;
        locus_status status;
    } want[3] = {{"locus.format", "1", LOCUS_ERR_METADATA},
                 {"locus.net_hash", hash, LOCUS_ERR_MISMATCH},
                 {"locus.q_dim", q_dim, LOCUS_ERR_QUERY_DIM}};
    const char *text;
    locusi_spec spec;
    size_t i, k;
    int recall = 0;
    locus_status status;
    memset(f, 0, sizeof *f);
    memset(plan, 0, sizeof *plan);
    if (!locus_safetensors_find(st, locusi_pool_shapes[0].name))
        return locusi_fail(err, LOCUS_ERR_NO_POOL, "%s", "this tensor", "none", locusi_pool_shapes[0].name);
    for (i = 0; i < st->tensor_count; i++) {
        const char *name = st->tensors[i].name;
        for (k = 0; k < LOCUSI_POOL_TENSORS && strcmp(name, locusi_pool_shapes[k].name); k++) {}
        if (k < LOCUSI_POOL_TENSORS) f->tensor[k] = &st->tensors[i];
        else if (!locusi_starts(name, "encoder.") && !locusi_starts(name, "decoder.") && !locusi_starts(name, "text."))
            return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "no such tensor", "this", name);
        recall |= locusi_starts(name, "memory.");
    }
    locusi_text(hash, sizeof hash, "%x", net->info.hash);
    locusi_text(q_dim, sizeof q_dim, "%z", net->q);
    for (i = 0; i < 3; i++) {
        text = locus_safetensors_meta(st, want[i].key);
        if (!text || strcmp(text, want[i].text))
            return locusi_fail(err, text ? want[i].status : LOCUS_ERR_METADATA, want[i].key, "%s, as of this net", "%s",
                               want[i].text, text ? text : "no entry");
    }
    text = locus_safetensors_meta(st, "locus.query_encoder");
    if ((status = locusi_check_query_encoder(net, &text, err))) return status;
    for (k = 0; k < (recall ? LOCUSI_POOL_TENSORS : LOCUSI_FILE_MAP); k++)
        if (!f->tensor[k] && locusi_pool_shapes[k].shape[0] != '?')
            return locusi_fail(err, LOCUS_ERR_TENSOR, "%s", "this tensor", "none", locusi_pool_shapes[k].name);
    if (recall) {
        plan->q = net->q;
        plan->rank = f->tensor[LOCUSI_FILE_MAP]->rank == 2 ? f->tensor[LOCUSI_FILE_MAP]->shape[0] : 16;
        plan->landmarks = f->tensor[LOCUSI_FILE_POINTS]->rank == 2 ? f->tensor[LOCUSI_FILE_POINTS]->shape[0] : 16;
        plan->seen = f->tensor[LOCUSI_FILE_KNOWN]->shape[0];
        plan->logits = f->tensor[LOCUSI_FILE_SCALARS]->count == 2; // a file of version 0.2 or 0.3
        if (f->tensor[LOCUSI_FILE_DIRECTION]) plan->directions = f->tensor[LOCUSI_FILE_DIRECTION]->shape[0];
        if ((status = locusi_recall_check_sizes(plan, err))) return status;
    }
    locusi_pool_sizes(f, net, f->tensor[0]->shape[0], f->tensor[LOCUSI_FILE_NAMES]->shape[0], plan);
    for (k = 0; k < LOCUSI_POOL_TENSORS; k++) {
        locusi_spec_set(&spec, "", &locusi_pool_shapes[k], f->sizes);
        if (f->tensor[k] && (status = locusi_check_tensor(st, &spec, &f->tensor[k], err))) return status;
    }
    return LOCUS_OK;
}

// Tensor k's numbers into the pool; costs of files before 0.3 are widened.
LOCUSI_FN locus_status locusi_pool_read(locusi_pool_file *f, size_t k, locus_error *err)
{
    const locus_tensor *t = f->tensor[k];
    const size_t rows = t->shape[0], columns = t->rank > 1 ? t->shape[1] : 1, size = locusi_dtype_bytes(t->dtype);
    const unsigned char *data = (const unsigned char *)t->data;
    size_t i, step;
    float x;
    for (i = 0; k >= LOCUSI_FILE_MAP && t->dtype == LOCUS_F32 && i < t->count; i++) {
        x = locusi_f32_from(locusi_le32(data + 4 * i));
        if (!(locusi_finite(x) && fabsf(x) < 1e12f))
            return locusi_fail(err, LOCUS_ERR_POOL, "%s[%z]", "a finite number", "%f", t->name, i, (double)x);
    }
    for (i = 0; i < rows; i++) {
        if (t->dtype == LOCUS_F32 && !strcmp(locusi_pool_shapes[k].dtype, "F64")) {
            locus_tensor_to_f32(t, i, 1, &x, NULL);
            *(double *)locusi_pool_row(f, k, i, &step) = (double)x;
        } else locusi_pool_copy_row(f, k, i, (unsigned char *)data + i * columns * size, columns, size, 0);
    }
    return LOCUS_OK;
}

// Names and availability; everything about the models is checked, and that no name is there twice.
LOCUSI_FN locus_status locusi_pool_read_models(locusi_pool_file *f, locus_error *err)
{
    const locus_tensor *names = f->tensor[LOCUSI_FILE_NAMES];
    const unsigned char *available = (const unsigned char *)f->tensor[LOCUSI_FILE_AVAILABLE]->data;
    const char *name = (const char *)names->data, *end = name + names->bytes;
    locus_pool *pool = f->pool;
    size_t i, length;
    locus_status status;
    for (i = 0; i < f->sizes[+'M']; i++, name += length + 1) {
        locus_model *model = &pool->models[i];
        for (length = 0; name + length < end && name[length]; length++) {}
        if (name + length == end || length >= sizeof model->name)
            return locusi_fail(err, LOCUS_ERR_NAME, "pool.names", "a name of at most %z bytes for model %z", "another",
                               sizeof model->name - 1, i);
        memset(model->name, 0, sizeof model->name);
        memcpy(model->name, name, length);
        model->available = available[i] != 0;
        memset(pool->z + i * pool->net->dp + pool->net->d, 0, (pool->net->dp - pool->net->d) * sizeof(float));
        if (locus_pool_find(pool, model->name) != SIZE_MAX)
            return locusi_fail(err, LOCUS_ERR_NAME, "pool.names", "each name once", "\"%s\" twice", model->name);
        if ((status = locusi_pool_check(pool, model, pool->z + i * pool->net->dp, SIZE_MAX, err))) return status;
        locusi_pool_name(pool, i);
        pool->count++;
    }
    if (name == end) return LOCUS_OK;
    return locusi_fail(err, LOCUS_ERR_NAME, "pool.names", "%z names", "more", f->sizes[+'M']);
}

LOCUSI_FN locus_status locusi_pool_read_rest(locusi_pool_file *f, locus_error *err)
{
    locus_pool *pool = f->pool;
    const size_t m = pool->count;
    size_t i;
    pool->calibrated = f->tensor[LOCUSI_FILE_CALIBRATION] != NULL;
    for (i = 0; i <= m; i++) {
        locus_calibration *pair = i < m ? &pool->calibration[i] : &pool->calibration_shared;
        if (!pool->calibrated) *pair = pool->calibration_shared;
        if (!locusi_within((double)pair->scale, 0.0, (double)LOCUSI_CALIBRATION_MOST) || !(pair->scale > 0.0f) ||
            !locusi_within((double)pair->shift, -(double)LOCUSI_CALIBRATION_MOST, (double)LOCUSI_CALIBRATION_MOST))
            return locusi_fail(err, LOCUS_ERR_POOL, "pool.calibration[%z]", "above 0 to 100, and -100 to 100",
                               "%f and %f", i, (double)pair->scale, (double)pair->shift);
    }
    if (!f->tensor[LOCUSI_FILE_GUARD]) return LOCUS_OK;
    if (!(locusi_within(f->guard[0], 0.0, (double)m) && f->guard[0] < (double)m && floor(f->guard[0]) >= f->guard[0]))
        return locusi_fail(err, LOCUS_ERR_POOL, "pool.guard[0]", "the index of one of %z models", "%f", m, f->guard[0]);
    if (!locusi_within(f->guard[1], 0.0, 1.0))
        return locusi_fail(err, LOCUS_ERR_POOL, "pool.guard[1]", "a margin of 0 to 1", "%f", f->guard[1]);
    return locus_pool_set_guard(pool, (size_t)f->guard[0], f->guard[1], err);
}

LOCUS_API locus_status locus_pool_load(locus_pool **out, const locus_net *net, const locus_safetensors *st,
                                       const locus_run *run, locus_error *err)
{
    locusi_pool_file f;
    locusi_recall plan;
    size_t k;
    locus_status status;
    if (!out || !net || !st) return locusi_null(err, !out ? "out" : !net ? "net" : "st");
    *out = NULL;
    if ((status = locusi_pool_check_file(&f, net, st, &plan, err)) ||
        (status = locusi_pool_create(&f.pool, net, f.sizes[+'M'], locus_safetensors_meta(st, "locus.query_encoder"),
                                     &plan, run, err)))
        return status;
    for (k = 0; k < LOCUSI_POOL_TENSORS && !status; k++)
        if (f.tensor[k] && k != LOCUSI_FILE_NAMES && k != LOCUSI_FILE_AVAILABLE) status = locusi_pool_read(&f, k, err);
    if (status || (status = locusi_pool_read_models(&f, err)) || (status = locusi_pool_read_rest(&f, err))) {
        locus_pool_destroy(f.pool);
        return status;
    }
    locusi_pool_hide(f.pool, 0, f.pool->count);
    if (plan.landmarks) locusi_recall_loaded(&f);
    *out = f.pool;
    return LOCUS_OK;
}

#ifndef LOCUS_NO_STDIO
LOCUS_API locus_status locus_pool_open(locus_pool **out, const locus_net *net, const char *path, const locus_run *run,
                                       locus_error *err)
{
    locus_safetensors st;
    locus_status status;
    if (!out) return locusi_null(err, "out");
    *out = NULL;
    if ((status = locus_safetensors_open(&st, path, err))) return status;
    status = locus_pool_load(out, net, &st, run, err);
    locus_safetensors_close(&st);
    return status;
}

// The tensors that the pool has, in memory of w; returns how many.
LOCUSI_FN size_t locusi_pool_tensors(locusi_pool_file *f, const locus_pool *pool, locus_tensor *tensors, locusi_work *w)
{
    const locusi_recall *m = &pool->memory;
    size_t i, k, bytes = 0, count = 0;
    memset(f, 0, sizeof *f);
    f->pool = (locus_pool *)pool; // only read
    for (i = 0; i < pool->count; i++) bytes += strlen(pool->models[i].name) + 1;
    locusi_pool_sizes(f, pool->net, pool->count, bytes, m);
    f->guard[0] = (double)pool->guard.model;
    f->guard[1] = pool->guard.margin;
    locusi_recall_saved(f);
    for (k = 0; k < LOCUSI_POOL_TENSORS; k++) {
        locus_tensor *t = &tensors[count];
        unsigned char *data;
        size_t columns, size;
        locusi_spec spec;
        if ((k == LOCUSI_FILE_CALIBRATION && !pool->calibrated) ||
            (k == LOCUSI_FILE_GUARD && pool->guard.model >= pool->count) || (k >= LOCUSI_FILE_MAP && !m->landmarks) ||
            (k == LOCUSI_FILE_ITEMS && !(m->spread > 0.0)) || (k == LOCUSI_FILE_DIRECTION && !m->directions))
            continue;
        locusi_spec_set(&spec, "", &locusi_pool_shapes[k], f->sizes);
        memset(t, 0, sizeof *t);
        t->name = locusi_pool_shapes[k].name;
        t->dtype_name = locusi_pool_shapes[k].dtype;
        t->rank = spec.rank;
        memcpy(t->shape, spec.shape, sizeof spec.shape);
        columns = t->rank > 1 ? t->shape[1] : 1;
        size = t->dtype_name[1] == '8' ? 1 : t->dtype_name[1] == '3' ? 4 : 8;
        t->data = data = (unsigned char *)locusi_take(w, t->shape[0], columns * size);
        count++;
        for (i = 0; data && k != LOCUSI_FILE_NAMES && i < t->shape[0]; i++, data += columns * size)
            if (k == LOCUSI_FILE_AVAILABLE) *data = pool->models[i].available != 0;
            else locusi_pool_copy_row(f, k, i, data, columns, size, 1);
        for (i = 0; data && k == LOCUSI_FILE_NAMES && i < pool->count; i++) {
            memcpy(data, pool->models[i].name, strlen(pool->models[i].name) + 1);
            data += strlen(pool->models[i].name) + 1;
        }
    }
    return count;
}

LOCUSI_FN locus_status locusi_pool_check_save(const locus_net *net, locus_save_what what,
                                              const locus_safetensors *net_file, locus_error *err)
{
    locus_net check;
    locus_status status;
    if (what < LOCUS_SAVE_POOL || what > LOCUS_SAVE_EVERYTHING)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "what", "a locus_save_what", "%d", (int)what);
    if (what == LOCUS_SAVE_POOL) return LOCUS_OK;
    if (!net_file) return locusi_null(err, "net_file");
    if ((status = locusi_net_sizes(&check, net_file, err)) || (status = locusi_net_hash(&check, net_file, err)))
        return status;
    if (check.info.hash != net->info.hash)
        return locusi_fail(err, LOCUS_ERR_MISMATCH, "net_file", "hash %x, of the pool's net", "%x", net->info.hash,
                           check.info.hash);
    if (what == LOCUS_SAVE_EVERYTHING && !check.info.has_encoder)
        return locusi_fail(err, LOCUS_ERR_NO_ENCODER, "net_file", "a file with the encoder", "the predictor alone");
    return LOCUS_OK;
}

LOCUS_API locus_status locus_pool_save(const locus_pool *pool, const char *path, locus_save_what what,
                                       const locus_safetensors *net_file, locus_error *err)
{
    static const char *const keys[5] = {"locus.format", "locus.net_hash", "locus.query_encoder", "locus.q_dim",
                                        "locus.encoder_hash"};
    const char *values[5] = {"1", NULL, NULL, NULL, NULL};
    const size_t own = what == LOCUS_SAVE_POOL ? 4 : 5; // keys
    locusi_pool_file f;
    locusi_work w;
    locus_tensor *tensors, pools[LOCUSI_POOL_TENSORS];
    locus_metadata *metadata;
    char hash[24], encoder_hash[24], q_dim[24];
    size_t i, count, tensor_count = 0, metadata_count = 0;
    locus_status status;
    if (!pool || !path) return locusi_null(err, pool ? "path" : "pool");
    if ((status = locusi_pool_check_save(pool->net, what, net_file, err))) return status;
    if (what == LOCUS_SAVE_POOL) net_file = NULL;
    locusi_text(hash, sizeof hash, "%x", pool->net->info.hash);
    locusi_text(encoder_hash, sizeof encoder_hash, "%x", pool->net->info.encoder_hash);
    locusi_text(q_dim, sizeof q_dim, "%z", pool->net->q);
    values[1] = hash, values[2] = pool->query_encoder, values[3] = q_dim, values[4] = encoder_hash;
    locusi_work_begin(&w, NULL);
    count = locusi_pool_tensors(&f, pool, pools, &w);
    tensors = (locus_tensor *)locusi_take(&w, count + (net_file ? net_file->tensor_count : 0), sizeof *tensors);
    metadata = (locus_metadata *)locusi_take(&w, own + (net_file ? net_file->metadata_count : 0), sizeof *metadata);
    if ((status = locusi_work_short(&w, err))) {
        locusi_work_end(&w);
        return status;
    }
    for (i = 0; net_file && i < net_file->tensor_count; i++) {
        const char *name = net_file->tensors[i].name;
        if (locusi_starts(name, "decoder.") || locusi_starts(name, "text.") ||
            (what == LOCUS_SAVE_EVERYTHING && locusi_starts(name, "encoder.")))
            tensors[tensor_count++] = net_file->tensors[i];
    }
    memcpy(tensors + tensor_count, pools, count * sizeof *pools);
    tensor_count += count;
    for (i = 0; net_file && i < net_file->metadata_count; i++)
        if (!locusi_starts(net_file->metadata[i].key, "locus.")) metadata[metadata_count++] = net_file->metadata[i];
    for (i = 0; i < own; i++) {
        metadata[metadata_count].key = keys[i];
        metadata[metadata_count++].value = values[i];
    }
    status = locus_safetensors_save(path, tensors, tensor_count, metadata, metadata_count, err);
    locusi_work_end(&w);
    return status;
}
#endif

// ----------------------------------------------------------------------------------------------------- >>predictor
//
// logit = w · ReLU(W_z z + W_u u + W_zu (z ∘ u) + b) + c. W_z z + b is kept for each model; for each query u and W_u u
// are computed once, and W_zu with its columns scaled by u, so that all models are one matrix product z (W_zu
// diag(u))^T.

#define LOCUSI_QUERY_TILE ((size_t)24)
#define LOCUSI_MODEL_TILE ((size_t)96)

typedef struct locusi_predict_job {
    const locus_pool *pool;
    const locus_parallel *parallel;
    size_t workers, tile;             // tile: queries at a time
    float *u, *hu;                    // of each worker: [tile, dp], [tile, gp]
    float *scaled;                    // packed [d -> gp]
    float *hidden;                    // [MODEL_TILE, gp]
    float *x, *similarities, *recall; // recall: [tile, rank], [tile, landmarks], [tile, MODEL_TILE]
    const locus_queries *queries;     // of the call
    float *logits;                    // [queries, models]
    size_t model_tile, model_tiles;
    int bad; // an encoding or a logit is not finite
    locusi_counter counter;
} locusi_predict_job;

// A calibrated pool's logit from the plain one. In double the product is exact, so that it is all one whether a
// compiler fuses it with the sum.
LOCUSI_FN float locusi_calibrated(const locus_pool *pool, size_t model, float logit)
{
    return (float)((double)pool->calibration[model].scale * (double)logit + (double)pool->calibration[model].shift);
}

// logits [rows, of all models] of models begin .. end: the recall's share is mixed in.
LOCUSI_FN void locusi_predict_recall(const locusi_predict_job *job, size_t worker, const float *q, size_t stride,
                                     size_t rows, size_t begin, size_t end, float *logits)
{
    const locus_pool *pool = job->pool;
    const locusi_recall *memory = &pool->memory;
    float *similarities = job->similarities + worker * job->tile * memory->landmarks;
    float *recall = job->recall + worker * job->tile * LOCUSI_MODEL_TILE;
    size_t m, i, j, models;
    locusi_recall_kernels(memory, pool->net->kernels, q, stride, rows, job->x + worker * job->tile * memory->rank,
                          similarities);
    for (m = begin; m < end; m += models) {
        models = end - m < LOCUSI_MODEL_TILE ? end - m : LOCUSI_MODEL_TILE;
        locusi_matmul_run(pool->net->kernels, similarities, memory->landmarks, rows, memory->landmarks,
                          locusi_recall_at(pool, m, 0), locusi_pad(models), recall, LOCUSI_MODEL_TILE,
                          pool->recall_base + m, NULL, 0, 0);
        for (i = 0; i < rows; i++)
            for (j = 0; j < models; j++)
                if (pool->recalled[m + j]) {
                    float *logit = logits + i * pool->count + m + j;
                    float told = recall[i * LOCUSI_MODEL_TILE + j];
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
    const size_t count = job->queries->count, stride = job->queries->stride ? job->queries->stride : net->q;
    float *u = job->u + worker * job->tile * net->dp, *hu = job->hu + worker * job->tile * net->gp;
    float *scaled = job->scaled + worker * net->d * net->gp;
    float *hidden = job->hidden + worker * LOCUSI_MODEL_TILE * net->gp;
    size_t item, first, i, m, rows, models, mine = 0;
    while ((item = locusi_next(&job->counter, worker, &mine)), (first = item / job->model_tiles * job->tile) < count) {
        const size_t begin = item % job->model_tiles * job->model_tile;
        const size_t end = pool->count < begin + job->model_tile ? pool->count : begin + job->model_tile;
        const float *q = job->queries->encodings + first * stride;
        float *logits = job->logits + first * pool->count;
        rows = count - first < job->tile ? count - first : job->tile;
        locusi_matmul_run(k, q, stride, rows, net->q, net->u, net->dp, u, net->dp, net->u_bias, NULL, 0, 0);
        locusi_matmul_run(k, u, net->dp, rows, net->d, net->hu, net->gp, hu, net->gp, NULL, NULL, 0, 0);
        for (i = 0; i < rows; i++) {
            if (locusi_encoding_norm(net, q + i * stride) < 0.0) locusi_set_flag(&job->bad);
            k->scale(net->hzu, u + i * net->dp, net->d, net->gp / 16, scaled);
            for (m = begin; m < end; m += models) {
                models = end - m < LOCUSI_MODEL_TILE ? end - m : LOCUSI_MODEL_TILE;
                locusi_matmul_run(k, pool->z + m * net->dp, net->dp, models, net->d, scaled, net->gp, hidden, net->gp,
                                  hu + i * net->gp, pool->hidden + m * net->gp, net->gp, 0);
                k->relu_dot(hidden, net->gp, models, net->gp, net->last, net->last_bias, logits + i * pool->count + m);
            }
        }
        if (begin >= end) continue;
        if (pool->memory.landmarks) locusi_predict_recall(job, worker, q, stride, rows, begin, end, logits);
        for (i = 0; i < rows; i++, logits += pool->count) {
            for (m = begin; pool->calibrated && m < end; m++) logits[m] = locusi_calibrated(pool, m, logits[m]);
            if (!locusi_all_finite(logits + begin, end - begin)) locusi_set_flag(&job->bad);
        }
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

// What predictions work in. count: of the queries of one call of locusi_predict at most.
LOCUSI_FN void locusi_predict_begin(locusi_predict_job *job, const locus_pool *pool, size_t count,
                                    const locus_parallel *parallel, locusi_work *w)
{
    const locus_net *net = pool->net;
    size_t tiles;
    memset(job, 0, sizeof *job);
    job->pool = pool;
    job->parallel = parallel;
    job->tile = count < LOCUSI_QUERY_TILE ? count : LOCUSI_QUERY_TILE;
    job->workers = locusi_workers(parallel);
    if (job->workers > 64) job->workers = 64;
    if (pool->count < 1024 && count == 1) job->workers = 1;
    tiles = job->workers * job->tile;
    job->u = locusi_take_floats(w, tiles, net->dp);
    job->hu = locusi_take_floats(w, tiles, net->gp);
    job->scaled = locusi_take_floats(w, job->workers * net->d, net->gp);
    job->hidden = locusi_take_floats(w, job->workers * LOCUSI_MODEL_TILE, net->gp);
    if (!pool->memory.landmarks) return;
    job->x = locusi_take_floats(w, tiles, pool->memory.rank);
    job->similarities = locusi_take_floats(w, tiles, pool->memory.landmarks);
    job->recall = locusi_take_floats(w, tiles, LOCUSI_MODEL_TILE);
}

// first: the row of queries[0] in the caller's table, for messages.
LOCUSI_FN locus_status locusi_predict(locusi_predict_job *job, const locus_queries *queries, size_t first,
                                      float *logits, locus_error *err)
{
    const locus_pool *pool = job->pool;
    size_t i;
    if (pool->count == 0 || queries->count == 0) return LOCUS_OK;
    job->queries = queries;
    job->logits = logits;
    job->counter.next = 0;
    job->counter.workers = job->workers;
    // Few queries and many models: work is split by models too, and each part computes u anew.
    job->model_tiles = 1;
    if (queries->count < 2 * job->workers * job->tile && job->workers > 1 && pool->count >= 1024)
        job->model_tiles = 4 * job->workers;
    job->model_tile = (pool->count / job->model_tiles + LOCUSI_MODEL_TILE) / LOCUSI_MODEL_TILE * LOCUSI_MODEL_TILE;
    job->bad = 0;
    locusi_run(job->parallel, locusi_predict_work, job, job->workers);
    for (i = 0; job->bad && i < queries->count; i++) {
        const float *q = queries->encodings + i * (queries->stride ? queries->stride : queries->dim);
        if (locusi_encoding_norm(pool->net, q) < 0.0) return locusi_bad_encoding(q, queries->dim, first + i, err);
    }
    return job->bad ? locusi_check_logits(logits, queries->count, pool->count, first, 0, err) : LOCUS_OK;
}

// At most `most` of the queries from row `first` on.
LOCUSI_FN locus_queries locusi_queries_from(const locus_queries *q, size_t first, size_t most)
{
    locus_queries part = *q;
    part.encodings += first * (q->stride ? q->stride : q->dim);
    part.count = q->count - first < most ? q->count - first : most;
    return part;
}

// Logits, a block of queries at a time (without `logits` they are not kept) and, with rules, choices from them.
LOCUSI_FN locus_status locusi_predict_blocks(const locus_pool *pool, const locus_queries *queries, size_t block,
                                             float *logits, locusi_rules *rules, locus_choice *out,
                                             const locus_run *run, locus_error *err)
{
    locusi_predict_job job;
    locusi_work w;
    locus_queries part;
    float *to = NULL;
    size_t i;
    locus_status status;
    locusi_work_begin(&w, run);
    locusi_predict_begin(&job, pool, block, run ? run->parallel : NULL, &w);
    if (!logits) to = locusi_take_floats(&w, block, pool->count);
    status = locusi_work_short(&w, err);
    for (i = 0; i < queries->count && !status; i += part.count) {
        part = locusi_queries_from(queries, i, block);
        if (logits) to = logits + i * pool->count;
        status = locusi_predict(&job, &part, i, to, err);
        if (!status && rules) status = locusi_rank_rows(rules, to, i, part.count, out, err);
        if (!status) status = locusi_report(run, i + part.count, queries->count, err);
    }
    locusi_work_end(&w);
    return status;
}

LOCUS_API locus_status locus_predict(const locus_pool *pool, const locus_queries *queries, float *logits,
                                     const locus_run *run, locus_error *err)
{
    const size_t most = 64 * LOCUSI_QUERY_TILE;
    size_t block;
    locus_status status;
    if (!pool || !queries || !logits) return locusi_null(err, !pool ? "pool" : !queries ? "queries" : "logits");
    if ((status = locusi_check_queries(pool->net, queries, err))) return status;
    block = queries->count < most ? queries->count : most;
    return locusi_predict_blocks(pool, queries, block, logits, NULL, NULL, run, err);
}

// --------------------------------------------------------------------------------------------------------- >>route

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
    static const char *const amount = "finite and not negative, or NaN", *const names[3] = {"input", "output", "query"};
    size_t i, m;
    if (!prices || !tokens || !cost) return locusi_null(err, !prices ? "prices" : !tokens ? "tokens" : "cost");
    if (count && (!tokens->input || !tokens->output))
        return locusi_null(err, !tokens->input ? "tokens->input" : "tokens->output");
    for (m = 0; m < models; m++) {
        const double rate[3] = {prices[m].input, prices[m].output, prices[m].query};
        for (i = 0; i < 3; i++)
            if (!locusi_amount(rate[i]))
                return locusi_fail(err, LOCUS_ERR_ARGUMENT, "prices[%z].%s", amount, "%f", m, names[i], rate[i]);
    }
    for (i = 0; i < count; i++) {
        const double in = tokens->input[i];
        if (!locusi_amount(in)) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "tokens->input[%z]", amount, "%f", i, in);
        for (m = 0; m < models; m++) {
            const double out = tokens->output[i * tokens->query_stride + m * tokens->model_stride];
            const double sum = (in * prices[m].input + out * prices[m].output) / 1e6 + prices[m].query;
            if (!locusi_amount(out) || !locusi_amount(sum))
                return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s of query %z, model %z", amount, "%f",
                                   locusi_amount(out) ? "cost" : "tokens->output", i, m,
                                   locusi_amount(out) ? sum : out);
            cost[i * models + m] = sum;
        }
    }
    return LOCUS_OK;
}

LOCUS_API locus_status locus_rank(const locus_pool *pool, const float *logits, size_t count,
                                  const locus_route_opts *opts, locus_choice *out, locus_error *err)
{
    locus_route_opts zero;
    locusi_rules rules;
    locus_status status;
    if (!pool || !logits || !out) return locusi_null(err, !pool ? "pool" : !logits ? "logits" : "out");
    locusi_rules_make(&rules, pool->models, pool->count, pool->guard, locusi_route_defaults(opts, &zero), 0);
    if ((status = locusi_check_route(&rules, count, err)) ||
        (status = locusi_check_logits(logits, count, pool->count, 0, 1, err)))
        return status;
    return locusi_rank_rows(&rules, logits, 0, count, out, err);
}

// Queries are routed a block at a time.
LOCUSI_FN size_t locusi_route_block(const locus_pool *pool, size_t count)
{
    const size_t block = 65536 / (pool->count + 1) < 64 ? 64 : 1 + 65536 / (pool->count + 1);
    return count < block ? count : block;
}

LOCUS_API locus_status locus_route(const locus_pool *pool, const locus_queries *queries, const locus_route_opts *opts,
                                   locus_choice *out, float *logits, const locus_run *run, locus_error *err)
{
    locus_route_opts zero;
    locusi_rules rules;
    locus_status status;
    if (!pool || !queries || !out) return locusi_null(err, !pool ? "pool" : !queries ? "queries" : "out");
    locusi_rules_make(&rules, pool->models, pool->count, pool->guard, locusi_route_defaults(opts, &zero), 0);
    if ((status = locusi_check_queries(pool->net, queries, err)) ||
        (status = locusi_check_route(&rules, queries->count, err)))
        return status;
    return locusi_predict_blocks(pool, queries, locusi_route_block(pool, queries->count), logits, &rules, out, run,
                                 err);
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
        if (!locusi_rank_one(r, logits + i * r->count, 1, &c)) return locusi_no_candidate(r, i, err);
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
    double low = 0.0, high = 1.0, cost, tried;
    locus_status status;
    int i;
    if (!pool || !logits || !lambda) return locusi_null(err, !pool ? "pool" : !logits ? "logits" : "lambda");
    o = *locusi_route_defaults(opts, &o);
    o.lambda = 0.0;
    locusi_rules_make(&rules, pool->models, pool->count, pool->guard, &o, 1);
    if ((status = locusi_check_route(&rules, count, err))) return status;
    if (!locusi_within(budget, 0.0, DBL_MAX))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "budget", "finite and not negative", "%f", budget);
    if ((status = locusi_check_logits(logits, count, pool->count, 0, 1, err)) ||
        (status = locusi_mean_cost(&rules, logits, count, &cost, err)))
        return status;
    *lambda = 0.0;
    if (cost > budget) {
        // Raise the price until the budget holds, then halve the interval. It is not closed to the last bit: at the
        // very edge a choice would hang on the rounding of a utility. Costs may be of any size: start where one such
        // mean cost is worth a certain answer.
        if (cost < 1.0) high = 1.0 / cost < DBL_MAX ? 1.0 / cost : DBL_MAX;
        for (i = 0; i < 200; i++, low = high, high = high < DBL_MAX / 4.0 ? 4.0 * high : DBL_MAX) {
            o.lambda = high;
            if ((status = locusi_mean_cost(&rules, logits, count, &cost, err))) return status;
            if (cost <= budget || high >= DBL_MAX) break;
        }
        if (cost > budget)
            return locusi_fail(err, LOCUS_ERR_BUDGET, "budget", "at least %f, the mean cost at any price", "%f", cost,
                               budget);
        for (i = 0; i < 200 && high - low > 1e-9 * high; i++) {
            o.lambda = low + (high - low) / 2.0;
            if ((status = locusi_mean_cost(&rules, logits, count, &tried, err))) return status;
            if (tried <= budget) high = o.lambda, cost = tried;
            else low = o.lambda;
        }
        *lambda = high;
    }
    if (mean_cost) *mean_cost = cost;
    return LOCUS_OK;
}

// ---- routers

LOCUS_API void locus_router_close(locus_router *router)
{
    if (!router) return;
    locus_pool_destroy(router->pool);
    locus_net_destroy(router->net);
    memset(router, 0, sizeof *router);
}

LOCUS_API locus_status locus_router_load(locus_router *out, const void *data, size_t bytes, const locus_run *run,
                                         locus_error *err)
{
    locus_safetensors st;
    locus_run rest;
    locus_status status;
    if (!out) return locusi_null(err, "out");
    memset(out, 0, sizeof *out);
    if ((status = locus_safetensors_parse(&st, data, bytes, NULL, err))) return status;
    if (!(status = locus_net_create(&out->net, &st, run, err))) {
        rest = locusi_work_rest(&out->net->home, run);
        status = locus_pool_load(&out->pool, out->net, &st, &rest, err);
        status = locusi_work_within(&out->net->home, status, err);
    }
    locus_safetensors_close(&st);
    if (status) {
        locus_router_close(out);
        return status;
    }
    out->text = out->net->info.text;
    out->q_dim = out->net->q;
    out->z_dim = out->net->d;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_router_route(const locus_router *router, const locus_queries *queries,
                                          const locus_route_opts *opts, locus_choice *out, const locus_run *run,
                                          locus_error *err)
{
    if (!router || !router->pool || !queries || !out) return locusi_null(err, "router, queries, out");
    return locus_route(router->pool, queries, opts, out, NULL, run, err);
}

LOCUS_API locus_status locus_router_add(locus_router *router, const char *name, const float *z, size_t *index,
                                        const locus_run *run, locus_error *err)
{
    locus_model model;
    locus_status status;
    (void)run; // the pool has its own
    if (!router || !router->pool || !name) return locusi_null(err, name ? "router" : "name");
    if ((status = locusi_new_model(&model, name, err))) return status;
    return locus_pool_add(router->pool, &model, z, index, err);
}

// ------------------------------------------------------------------------------------------------------- >>metrics

// What metrics, leaders and frontiers demand of scores of which they read n columns.
LOCUSI_FN locus_status locusi_check_columns(const locus_scores *s, const size_t *columns, size_t n, locus_among among,
                                            const size_t *leaders, size_t leader_count, locus_error *err)
{
    locus_status status = locusi_check_table(s, 0, s->count, err);
    size_t i, m;
    float y = 0.0f;
    if (status) return status;
    if ((unsigned)among > LOCUS_AMONG_SCORED)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "among", "a locus_among", "%d", (int)among);
    for (i = 0; i < leader_count; i++)
        if (!leaders || leaders[i] >= s->models)
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "leaders[%z]", "below %z", "%z", i, s->models,
                               leaders ? leaders[i] : SIZE_MAX);
    for (i = 0; i < n; i++) {
        const size_t column = columns ? columns[i] : i;
        if (column >= s->count)
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "columns[%z]", "below %z", "%z", i, s->count, column);
        for (m = 0; m < s->models; m++)
            if (locusi_score_at(s, m, column, &y) && !(y >= 0.0f && y <= 1.0f))
                return locusi_fail(err, LOCUS_ERR_SCORE, "scores[%z, %z]", "0 to 1, or missing", "%f", m, column,
                                   (double)y);
    }
    return LOCUS_OK;
}

// The first candidate of `leaders`, and behind those by index; there is one.
LOCUSI_FN size_t locusi_leader(const size_t *leaders, size_t count, const unsigned char *candidate)
{
    size_t k = 0;
    while (!candidate[k < count ? leaders[k] : k - count]) k++;
    return k < count ? leaders[k] : k - count;
}

// Ascending, by counting each of the low 5 bytes; `spare` is as long. The result is in keys or spare: returned.
LOCUSI_FN uint64_t *locusi_radix_sort(uint64_t *keys, uint64_t *spare, size_t n)
{
    size_t count[257], i, shift;
    for (shift = 0; shift < 40; shift += 8) {
        uint64_t *swap = keys;
        memset(count, 0, sizeof count);
        for (i = 0; i < n; i++) count[1 + (keys[i] >> shift & 255)]++;
        for (i = 1; i < 257; i++) count[i] += count[i - 1];
        for (i = 0; i < n; i++) spare[count[keys[i] >> shift & 255]++] = keys[i];
        keys = spare;
        spare = swap;
    }
    return keys;
}

// Area under the ROC curve from sorted keys: (ordered logit) * 2 + right. Pairs of equal logit count half.
LOCUSI_FN double locusi_auc(const uint64_t *keys, size_t n)
{
    double wins = 0.0, below = 0.0, positives = 0.0;
    size_t i = 0;
    while (i < n) {
        double right = 0.0, wrong = 0.0;
        const uint64_t logit = keys[i] >> 1;
        for (; i < n && keys[i] >> 1 == logit; i++) {
            if (keys[i] & 1) right += 1.0;
            else wrong += 1.0;
        }
        wins += right * (below + 0.5 * wrong);
        below += wrong;
        positives += right;
    }
    return positives > 0.0 && below > 0.0 ? wins / (positives * below) : (double)locusi_nan();
}

#define LOCUSI_BINS ((size_t)15) // of the calibration error
#define LOCUSI_TOP ((size_t)5)   // hit@5 is the deepest

// The bin, of `count` of equal width, that a probability is in.
LOCUSI_FN size_t locusi_bin(double p, size_t count)
{
    const size_t bin = (size_t)(p * (double)count);
    return bin < count ? bin : count - 1;
}

typedef struct locusi_metrics { // on the way
    uint64_t *keys;             // [n, M] for the area under the curve
    float *score;               // [M] on the query; 0 where missing
    unsigned char *candidate;   // [M]
    unsigned char *routed;      // [M]
    double predicted[LOCUSI_BINS], observed[LOCUSI_BINS];
} locusi_metrics;

// A pair's part in the figures of prediction, which are sums so far.
LOCUSI_FN void locusi_metrics_pair(locusi_metrics *a, locus_metrics *out, float logit, float score)
{
    const double x = (double)logit, y = (double)score, p = locus_probability(x);
    const size_t bin = locusi_bin(p, LOCUSI_BINS);
    uint32_t bits = locusi_f32_bits(logit + 0.0f); // -0 becomes 0
    out->prediction_accuracy += (x >= 0.0) == (score > 0.5f) ? 1.0 : 0.0;
    // -log p = log(1 + e^-logit), written so that neither side overflows
    out->bce += (x > 0.0 ? x : 0.0) + log1p(exp(-fabs(x))) - y * x;
    out->brier += (p - y) * (p - y);
    a->predicted[bin] += p;
    a->observed[bin] += y;
    bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    a->keys[out->pairs++] = (uint64_t)bits << 1 | (score > 0.5f);
}

// A query's part in all figures. i: its row; row: its logits.
LOCUSI_FN locus_status locusi_metrics_query(locusi_metrics *a, locus_metrics *out, const float *row, size_t i,
                                            const locus_scores *scores, const locus_metrics_opts *o, locus_error *err)
{
    const size_t models = scores->models, column = o->columns ? o->columns[i] : i;
    size_t top[LOCUSI_TOP], found = 0, candidates = 0, right = 0, hit = 0, m, k, leader, chosen;
    double sum = 0.0, best = 0.0;
    for (m = 0; m < models; m++) {
        const int scored = locusi_score_at(scores, m, column, &a->score[m]);
        if (!scored) a->score[m] = 0.0f;
        a->candidate[m] = (!o->available || o->available[m]) &&
                          (!o->query_available || o->query_available[i * models + m]) &&
                          (scored || o->among == LOCUS_AMONG_ALL);
        if (!a->candidate[m]) continue;
        candidates++;
        right += a->score[m] > 0.5f;
        sum += (double)a->score[m];
        if (best < (double)a->score[m]) best = (double)a->score[m];
        k = found < LOCUSI_TOP ? found++ : LOCUSI_TOP;
        for (; k > 0 && row[m] > row[top[k - 1]]; k--)
            if (k < LOCUSI_TOP) top[k] = top[k - 1];
        if (k < LOCUSI_TOP) top[k] = m;
    }
    if (!candidates) {
        out->left_out++;
        return LOCUS_OK;
    }
    chosen = o->choices ? o->choices[i].model : top[0];
    if (chosen >= models || !a->candidate[chosen])
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "choices[%z]", "one of the query's candidates", "model %z", i,
                           chosen);
    for (m = 0; m < models; m++) {
        float y;
        if (locusi_score_at(scores, m, column, &y)) locusi_metrics_pair(a, out, row[m], y);
    }
    while (hit < found && !(a->score[top[hit]] > 0.5f)) hit++;
    leader = locusi_leader(o->leaders, o->leader_count, a->candidate);
    out->queries++;
    out->hit1 += a->score[chosen] > 0.5f;
    out->hit3 += hit < found && hit < 3;
    out->hit5 += hit < found;
    out->routing_score += (double)a->score[chosen];
    out->best_single += a->score[leader] > 0.5f;
    out->best_single_score += (double)a->score[leader];
    out->random_model += (double)right / (double)candidates;
    out->random_model_score += sum / (double)candidates;
    out->oracle += right > 0;
    out->oracle_score += best;
    a->routed[chosen] = 1;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_metrics_compute(locus_metrics *out, const float *logits, size_t n,
                                             const locus_scores *scores, const locus_metrics_opts *opts,
                                             const locus_run *run, locus_error *err)
{
    locus_metrics_opts none;
    const locus_metrics_opts *o = opts ? opts : &none;
    locusi_metrics a;
    locusi_work w;
    uint64_t *spare;
    size_t i, k, models;
    locus_status status;
    if (!out || !logits || !scores) return locusi_null(err, !out ? "out" : !logits ? "logits" : "scores");
    memset(out, 0, sizeof *out);
    memset(&none, 0, sizeof none);
    memset(&a, 0, sizeof a);
    models = scores->models;
    if ((status = locusi_check_columns(scores, o->columns, n, o->among, o->leaders, o->leader_count, err)))
        return status;
    locusi_work_begin(&w, run);
    a.keys = (uint64_t *)locusi_take_cells(&w, n, models, sizeof(uint64_t));
    spare = (uint64_t *)locusi_take_cells(&w, n, models, sizeof(uint64_t));
    a.score = (float *)locusi_take(&w, models, sizeof(float));
    a.candidate = (unsigned char *)locusi_take(&w, models, 1);
    a.routed = (unsigned char *)locusi_take_zero(&w, models, 1);
    status = locusi_work_short(&w, err);
    for (i = 0; i < n && !status; i++) {
        const float *row = logits + i * models;
        if (o->select && o->select[i] != o->value) continue;
        if (!(status = locusi_check_logits(row, 1, models, i, 0, err)))
            status = locusi_metrics_query(&a, out, row, i, scores, o, err);
    }
    if (!status) {
        double *const of_pairs[] = {&out->prediction_accuracy, &out->bce, &out->brier, &out->ece};
        double *const of_queries[2][5] = {{&out->hit1, &out->hit3, &out->hit5, &out->routing_score, &out->oracle},
                                          {&out->best_single, &out->best_single_score, &out->random_model,
                                           &out->random_model_score, &out->oracle_score}};
        for (k = 0; k < LOCUSI_BINS; k++) out->ece += fabs(a.predicted[k] - a.observed[k]);
        for (k = 0; k < models; k++) out->models_routed += a.routed[k];
        out->auc = locusi_auc(locusi_radix_sort(a.keys, spare, out->pairs), out->pairs);
        for (k = 0; k < 4; k++) *of_pairs[k] /= (double)out->pairs;
        for (k = 0; k < 10; k++) *of_queries[k / 5][k % 5] /= (double)out->queries;
    }
    locusi_work_end(&w);
    return status;
}

typedef struct locusi_keyed {
    double key;
    size_t index;
} locusi_keyed;

// By falling key, equals by index.
LOCUSI_FN int locusi_falling(const void *a, const void *b)
{
    const locusi_keyed *x = (const locusi_keyed *)a, *y = (const locusi_keyed *)b;
    if (x->key > y->key || x->key < y->key) return x->key < y->key ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

LOCUS_API locus_status locus_leaders(const locus_scores *scores, const size_t *columns, size_t count, locus_among among,
                                     size_t *order, double *means, const locus_run *run, locus_error *err)
{
    const size_t n = columns ? count : scores ? scores->count : 0;
    double *query, *seen, rest = 0.0, pairs = 0.0, moved = 1.0, middle = 0.0;
    locusi_keyed *model;
    locusi_work w;
    size_t models, m, i, round;
    int plain = 1;
    float y;
    locus_status status;
    if (!scores || !order) return locusi_null(err, !scores ? "scores" : "order");
    if ((status = locusi_check_columns(scores, columns, n, among, NULL, 0, err))) return status;
    models = scores->models;
    locusi_work_begin(&w, run);
    model = (locusi_keyed *)locusi_take_zero(&w, models, sizeof *model);
    seen = (double *)locusi_take(&w, models, sizeof *seen);
    query = (double *)locusi_take_zero(&w, n, sizeof *query);
    if ((status = locusi_work_short(&w, err))) {
        locusi_work_end(&w);
        return status;
    }
    for (m = 0; m < models && among == LOCUS_AMONG_SCORED; m++)
        for (i = 0; i < n; i++) plain &= locusi_score_at(scores, m, columns ? columns[i] : i, &y);
    // Without holes, and where a missing score is a 0, the plain mean. Else model and query in turn until both stand.
    for (round = 0; round < 500 && moved > 1e-9; round++) {
        for (i = 0; i < n && !plain; i++) {
            double sum = 0.0, number = 0.0;
            for (m = 0; m < models; m++)
                if (locusi_score_at(scores, m, columns ? columns[i] : i, &y))
                    sum += (double)y - model[m].key, number += 1.0;
            query[i] = number > 0.0 ? sum / number : 0.0;
        }
        moved = rest = pairs = 0.0;
        for (m = 0; m < models; m++) {
            double sum = 0.0, square = 0.0, mean;
            seen[m] = 0.0;
            for (i = 0; i < n; i++)
                if (locusi_score_at(scores, m, columns ? columns[i] : i, &y)) {
                    const double x = (double)y - query[i];
                    sum += x, square += x * x, seen[m] += 1.0;
                }
            mean = plain ? sum : seen[m] > 0.0 ? sum / seen[m] : 0.0; // of plain ones the sum: exact for 0 and 1
            if (!plain && fabs(mean - model[m].key) > moved) moved = fabs(mean - model[m].key);
            model[m].key = mean;
            rest += square - sum * mean;
            pairs += seen[m];
        }
    }
    for (i = 0; i < n; i++) middle += query[i] / (double)n;
    for (m = 0; m < models; m++) {
        const int known = plain || seen[m] > 0.0;
        if (!plain && known) model[m].key -= sqrt((rest > 0.0 ? rest : 0.0) / pairs / seen[m]);
        if (means) {
            means[m] = plain ? model[m].key / (double)n : model[m].key + middle;
            if (!known) means[m] = (double)locusi_nan();
        }
        if (!known) model[m].key = -DBL_MAX;
        model[m].index = m;
    }
    locusi_sort(model, models, sizeof *model, locusi_falling);
    for (m = 0; m < models; m++) order[m] = model[m].index;
    locusi_work_end(&w);
    return LOCUS_OK;
}

// ------------------------------------------------------------------------------------------------------ >>frontier
//
// A router at a price of cost spends some mean cost and gets some mean quality; over all prices that is a curve, and
// what can be had by mixing two of its points is its hull. The zero router's is computed likewise, with a model's mean
// in the place of its chance, over the same queries and candidates. All that answers queries is a *policy*, with a cost
// and a quality on each: each model alone, the leader, the router at each of its prices, and the zero router at each of
// its own. The bootstrap draws queries; everything is computed again from their weights.

typedef struct locusi_hull {
    const locus_tradeoff *points;
    size_t *corner, corners; // places of its corners, by rising cost
} locusi_hull;

// The non-decreasing hull of the points of a group.
LOCUSI_FN void locusi_hull_of(locusi_hull *h, const locus_tradeoff *points, size_t count, const unsigned char *group,
                              int which)
{
    size_t at = SIZE_MAX, i;
    h->points = points;
    h->corners = 0;
    for (i = 0; i < count; i++)
        if (group[i] == which && (at == SIZE_MAX || points[i].cost < points[at].cost ||
                                  (points[i].cost <= points[at].cost && points[i].quality > points[at].quality)))
            at = i;
    while (at != SIZE_MAX) { // always the steepest way up, and of equally steep ones the longest
        const locus_tradeoff from = points[at];
        double steepest = 0.0;
        h->corner[h->corners++] = at;
        at = SIZE_MAX;
        for (i = 0; i < count; i++) {
            const double cost = points[i].cost - from.cost, quality = points[i].quality - from.quality;
            if (group[i] != which || cost <= 0.0 || quality <= 0.0) continue;
            if (at == SIZE_MAX || quality / cost > steepest ||
                (quality / cost >= steepest && points[i].cost > points[at].cost)) {
                steepest = quality / cost;
                at = i;
            }
        }
    }
}

LOCUSI_FN locus_tradeoff locusi_hull_corner(const locusi_hull *h, size_t k) { return h->points[h->corner[k]]; }

// Its quality at a cost: NaN below its first corner, flat beyond its last.
LOCUSI_FN double locusi_hull_quality(const locusi_hull *h, double cost)
{
    size_t k;
    if (!h->corners || cost < locusi_hull_corner(h, 0).cost) return (double)locusi_nan();
    for (k = 1; k < h->corners; k++) {
        const locus_tradeoff a = locusi_hull_corner(h, k - 1), b = locusi_hull_corner(h, k);
        if (cost < b.cost) return a.quality + (b.quality - a.quality) * ((cost - a.cost) / (b.cost - a.cost));
    }
    return locusi_hull_corner(h, h->corners - 1).quality;
}

// The least cost at which it has the quality; NaN if it never has.
LOCUSI_FN double locusi_hull_cost(const locusi_hull *h, double quality)
{
    size_t k;
    if (h->corners && quality <= locusi_hull_corner(h, 0).quality) return locusi_hull_corner(h, 0).cost;
    for (k = 1; k < h->corners; k++) {
        const locus_tradeoff a = locusi_hull_corner(h, k - 1), b = locusi_hull_corner(h, k);
        if (quality <= b.quality) return a.cost + (b.cost - a.cost) * ((quality - a.quality) / (b.quality - a.quality));
    }
    return (double)locusi_nan();
}

// AIQ: the mean of its quality over costs from low to high. A hull that begins above `low` is joined to (0, 0), the
// router that never answers. low = high: its quality there.
LOCUSI_FN double locusi_hull_aiq(const locusi_hull *h, double low, double high)
{
    locus_tradeoff a = {0.0, 0.0}, b;
    double area = 0.0;
    size_t k;
    if (!h->corners) return (double)locusi_nan();
    if (high <= low) {
        a = locusi_hull_corner(h, 0);
        return low < a.cost ? a.quality * (low / a.cost) : locusi_hull_quality(h, low);
    }
    for (k = 0; k <= h->corners; k++, a = b) {
        if (k < h->corners) b = locusi_hull_corner(h, k);
        else b.cost = high, b.quality = a.quality;
        if (b.cost > low && a.cost < high && b.cost > a.cost) {
            const double from = a.cost < low ? low : a.cost, to = b.cost > high ? high : b.cost;
            const double slope = (b.quality - a.quality) / (b.cost - a.cost);
            area += (to - from) * (a.quality + slope * ((from + to) / 2.0 - a.cost));
        }
    }
    return area / (high - low);
}

// ---- the bootstrap

LOCUSI_FN size_t locusi_draw_row(uint64_t seed, uint64_t resample, uint64_t i, size_t count)
{
    return (size_t)(locusi_mix(seed ^ locusi_mix(resample * 0x9e3779b97f4a7c15u + i + 1)) % count);
}

// weight[count] <- how often each row is drawn.
LOCUSI_FN void locusi_draw_weights(uint64_t seed, uint64_t resample, size_t count, double *weight)
{
    size_t i;
    memset(weight, 0, count * sizeof *weight);
    for (i = 0; i < count; i++) weight[locusi_draw_row(seed, resample, i, count)] += 1.0;
}

LOCUSI_FN int locusi_rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The percentiles of `count` values of which one stands every `stride`; they are sorted in spare[count]. Infinite: NaN.
LOCUSI_FN void locusi_percentiles(const double *values, size_t count, size_t stride, double level, double *spare,
                                  locus_interval *out)
{
    const size_t low = (size_t)(0.5 * (1.0 - level) * (double)(count - 1) + 0.5);
    size_t i;
    out->low = out->high = (double)locusi_nan();
    if (locusi_unknown(out->value)) return;
    for (i = 0; i < count; i++) {
        spare[i] = values[i * stride];
        if (locusi_unknown(spare[i])) return;
    }
    locusi_sort(spare, count, sizeof *spare, locusi_rising);
    if (locusi_within(spare[low], -DBL_MAX, DBL_MAX)) out->low = spare[low];
    if (locusi_within(spare[count - 1 - low], -DBL_MAX, DBL_MAX)) out->high = spare[count - 1 - low];
}

LOCUSI_FN locus_status locusi_check_level(double level, locus_error *err)
{
    if (locusi_within(level, 0.0, 1.0) && level < 1.0) return LOCUS_OK;
    return locusi_fail(err, LOCUS_ERR_ARGUMENT, "level", "above 0 and below 1, or 0 for 0.9", "%f", level);
}

LOCUS_API locus_status locus_paired_difference(const double *a, const double *b, size_t count, double level,
                                               size_t resamples, uint64_t seed, locus_interval *out,
                                               const locus_run *run, locus_error *err)
{
    double *means, *spare, sum = 0.0;
    locusi_work w;
    size_t i, r;
    locus_status status;
    if (!a || !b || !out) return locusi_null(err, !a ? "a" : !b ? "b" : "out");
    if (!count) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "count", "at least 1", "0");
    if ((status = locusi_check_level(level, err))) return status;
    for (i = 0; i < count; i++) {
        if (!locusi_within(a[i] - b[i], -DBL_MAX, DBL_MAX))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "a[%z] - b[%z]", "a finite number", "%f", i, i, a[i] - b[i]);
        sum += a[i] - b[i];
    }
    out->value = sum / (double)count;
    if (!resamples) resamples = 1000;
    locusi_work_begin(&w, run);
    locusi_take_doubles(&w, 2, resamples, 1, &means, &spare);
    if (!(status = locusi_work_short(&w, err))) {
        for (r = 0; r < resamples; r++) {
            for (sum = 0.0, i = 0; i < count; i++) {
                const size_t at = locusi_draw_row(seed, r, i, count);
                sum += a[at] - b[at];
            }
            means[r] = sum / (double)count;
        }
        locusi_percentiles(means, resamples, 1, level > 0.0 ? level : 0.9, spare, out);
    }
    locusi_work_end(&w);
    return status;
}

// ---- the frontier

// What is computed anew for each resample, in this order; behind it each point's gain.
enum {
    LOCUSI_AIQ,
    LOCUSI_ZERO_AIQ,
    LOCUSI_AIQ_GAIN,
    LOCUSI_AT_LEADER,
    LOCUSI_COST,
    LOCUSI_SAVING = LOCUSI_COST + LOCUS_FRONTIER_LEVELS,
    LOCUSI_FIGURES = LOCUSI_SAVING + LOCUS_FRONTIER_LEVELS
};

static const double locusi_levels[LOCUS_FRONTIER_LEVELS] = {0.9, 0.95, 0.99, 1.0};

typedef struct locusi_duel { // a query between the weak and the strong model
    locusi_keyed by;         // how much likelier the strong one is
    double score[2];         // of the weak and the strong one
} locusi_duel;

enum { LOCUSI_OF_ROUTER = 1, LOCUSI_OF_ZERO = 2 };

typedef struct locusi_replay {
    const locus_frontier_opts *o;
    const locus_scores *scores;
    const float *logits;
    size_t n, models, wanted, resamples; // counted queries, M, prices, all by default where not given
    size_t points, blind;                // prices of the router, of the zero router
    size_t policies, stride;             // models, the leader, points, blind; room for as many
    double level, *lambda;               // [points + blind]
    double *cost;                        // [n, policies]
    float *quality;                      // [n, policies]
    unsigned char *candidate;            // [n, M]
    size_t *row;                         // [n] of the logits
    double *weight;                      // [n] how often a query is drawn
    double *slopes, *chance, *mean_cost; // [n, M], [M], [M] over all queries where it is known
    locus_tradeoff *mean;                // [policies] under the weights
    unsigned char *group;                // [policies] whose hull it is a point of, 0: of none
    locusi_hull router, zero;
    double low, high;        // the range of AIQ
    double *figures, *spare; // [1 + resamples, LOCUSI_FIGURES + points], [resamples]
    locusi_duel *pairs;      // [n]
} locusi_replay;

LOCUSI_FN void locusi_replay_take(locusi_replay *a, size_t n, locusi_work *w)
{
    a->stride = a->models + 1 + 2 * a->wanted;
    locusi_take_doubles(w, 1, a->wanted, 2, &a->lambda);
    locusi_take_doubles(w, 1, n, a->stride, &a->cost);
    a->quality = locusi_take_floats(w, n, a->stride);
    a->candidate = (unsigned char *)locusi_take_cells(w, n, a->models, 1);
    locusi_take_doubles(w, 1, n, a->models, &a->slopes);
    a->row = (size_t *)locusi_take(w, n, sizeof(size_t));
    locusi_take_doubles(w, 1, n, 1, &a->weight);
    locusi_take_doubles(w, 1, a->models, 1, &a->chance);
    a->mean_cost = (double *)locusi_take_zero(w, a->models, sizeof(double));
    a->mean = (locus_tradeoff *)locusi_take(w, a->stride, sizeof(locus_tradeoff));
    a->group = (unsigned char *)locusi_take(w, a->stride, 1);
    a->router.corner = (size_t *)locusi_take(w, a->stride, sizeof(size_t));
    a->zero.corner = (size_t *)locusi_take(w, a->stride, sizeof(size_t));
    a->figures = (double *)locusi_take_cells(w, a->resamples + 1, LOCUSI_FIGURES + a->wanted, sizeof(double));
    a->spare = (double *)locusi_take(w, a->resamples, sizeof(double));
    if (a->o->weak != a->o->strong) a->pairs = (locusi_duel *)locusi_take(w, n, sizeof(locusi_duel));
}

// The counted queries, with each model alone, the leader, and what the rows of `out` and singles sum up. Queries
// without a candidate whose cost can be counted are left out.
LOCUSI_FN void locusi_replay_fill(locusi_replay *a, locusi_rules *r, size_t rows, locus_single *singles,
                                  locus_frontier *out)
{
    const locus_frontier_opts *o = a->o;
    const size_t models = a->models;
    size_t i, m;
    for (i = 0; i < rows; i++) {
        float *quality = a->quality + a->n * a->stride;
        double *cost = a->cost + a->n * a->stride;
        double best = -1.0, number = 0.0, sum = 0.0, spent = 0.0;
        unsigned char *candidate = a->candidate + a->n * models;
        size_t oracle = 0, leader;
        locusi_rules_at(r, i);
        for (m = 0; m < models; m++) {
            const int scored = locusi_score_at(a->scores, m, o->columns ? o->columns[i] : i, &quality[m]);
            candidate[m] = (unsigned char)((scored || o->among == LOCUS_AMONG_ALL) && locusi_candidate(r, m));
            if (!scored || !candidate[m]) quality[m] = 0.0f;
        }
        r->available = candidate; // what an unknown cost counts as depends on them
        for (r->unpriced = -1.0, m = 0; m < models; m++) {
            const double x = locusi_cost(r, m);
            if (candidate[m] && !locusi_unknown(x) && x > r->unpriced) r->unpriced = x;
        }
        if (r->unpriced < 0.0) {
            out->left_out++;
            continue;
        }
        for (m = 0; m < models; m++) {
            const double x = locusi_counted_cost(r, m);
            a->mean_cost[m] += x; // also where it has no score: a blind router knows what models cost
            cost[m] = candidate[m] ? x : 0.0;
            if (!candidate[m]) continue;
            number += 1.0, sum += (double)quality[m], spent += x;
            singles[m].candidate++;
            singles[m].mean.cost += x;
            singles[m].mean.quality += (double)quality[m];
            if ((double)quality[m] > best || ((double)quality[m] >= best && x < cost[oracle])) {
                best = (double)quality[m];
                oracle = m;
            }
        }
        leader = locusi_leader(o->leaders, o->leader_count, candidate);
        cost[models] = cost[leader];
        quality[models] = quality[leader];
        out->random.cost += spent / number;
        out->random.quality += sum / number;
        out->oracle.cost += cost[oracle];
        out->oracle.quality += best;
        a->row[a->n++] = i;
    }
}

// Adds the prices at which the choice among a query's candidates changes, by the hull of (cost, chance), and where a
// guard gives way, at most as many as models; returns how many there are then.
LOCUSI_FN size_t locusi_replay_slopes(locusi_replay *a, const unsigned char *candidate, const double *cost,
                                      const locus_guard *guard, size_t found)
{
    const size_t models = a->models, most = found + models, at = guard->model;
    double gives = DBL_MAX;
    size_t m;
    for (m = 0; m < models; m++) {
        a->mean[m].cost = cost[m];
        a->mean[m].quality = a->chance[m];
        a->group[m] = candidate[m] && !locusi_unknown(a->chance[m]);
    }
    locusi_hull_of(&a->router, a->mean, models, a->group, 1);
    for (m = 1; m < a->router.corners; m++) {
        const locus_tradeoff from = locusi_hull_corner(&a->router, m - 1), to = locusi_hull_corner(&a->router, m);
        a->slopes[found++] = (to.quality - from.quality) / (to.cost - from.cost);
    }
    for (m = 0; m < models && at != SIZE_MAX && candidate[at]; m++)
        if (candidate[m] && cost[m] < cost[at]) {
            const double slope = (a->chance[at] + guard->margin - a->chance[m]) / (cost[at] - cost[m]);
            if (slope > 0.0 && slope < gives) gives = slope;
        }
    if (gives < DBL_MAX && found < most) a->slopes[found++] = gives;
    return found;
}

// Quantiles of these prices, without doubles: lambda[wanted or fewer] from 0; returns how many.
LOCUSI_FN size_t locusi_replay_prices(locusi_replay *a, size_t count, double *lambda)
{
    size_t p, found = 1;
    locusi_sort(a->slopes, count, sizeof *a->slopes, locusi_rising);
    lambda[0] = 0.0;
    for (p = 1; p < a->wanted && count; p++) {
        const double price = a->slopes[(count - 1) * p / (a->wanted - 1)] * (1.0 + 1e-9);
        if (price > lambda[found - 1] && price <= DBL_MAX) lambda[found++] = price;
    }
    return found;
}

// What the zero router takes at a price: the leader where no candidate's mean is known.
LOCUSI_FN size_t locusi_replay_blind(const locusi_replay *a, size_t i, double lambda)
{
    const unsigned char *candidate = a->candidate + i * a->models;
    size_t m, model = SIZE_MAX;
    double best = -HUGE_VAL;
    for (m = 0; m < a->models; m++) {
        const double x = a->o->means[m] - lambda * a->mean_cost[m];
        if (candidate[m] && !locusi_unknown(x) && x > best) best = x, model = m;
    }
    return model == SIZE_MAX ? locusi_leader(a->o->leaders, a->o->leader_count, candidate) : model;
}

// The prices, and what is chosen at each: by the router, and by the means alone.
LOCUSI_FN void locusi_replay_route(locusi_replay *a, locusi_rules *r, locus_route_opts *rules)
{
    const locus_guard none = {SIZE_MAX, 0.0};
    const size_t models = a->models;
    size_t i, m, p, slopes = 0;
    for (i = 0; i < a->n; i++) {
        for (m = 0; m < models; m++) a->chance[m] = locus_probability((double)a->logits[a->row[i] * models + m]);
        slopes = locusi_replay_slopes(a, a->candidate + i * models, a->cost + i * a->stride, &r->guard, slopes);
    }
    a->points = locusi_replay_prices(a, slopes, a->lambda);
    if (a->o->means) {
        memcpy(a->chance, a->o->means, models * sizeof(double));
        for (slopes = i = 0; i < a->n; i++)
            slopes = locusi_replay_slopes(a, a->candidate + i * models, a->mean_cost, &none, slopes);
        a->blind = locusi_replay_prices(a, slopes, a->lambda + a->points);
    }
    a->policies = models + 1 + a->points + a->blind;
    for (i = 0; i < a->n; i++) {
        double *cost = a->cost + i * a->stride;
        float *quality = a->quality + i * a->stride;
        r->available = a->candidate + i * models;
        r->cost = cost; // counted
        for (p = 0; p < a->points + a->blind; p++) {
            locus_choice c;
            rules->lambda = a->lambda[p];
            if (p < a->points) locusi_rank_one(r, a->logits + a->row[i] * models, 1, &c);
            else c.model = locusi_replay_blind(a, i, a->lambda[p]);
            cost[models + 1 + p] = cost[c.model];
            quality[models + 1 + p] = quality[c.model];
        }
    }
}

// Means under the weights, whose sum is n; the hulls; the figures and gains. never: what stands for the cost of a
// quality that is never reached. The first time zero_cost is given.
LOCUSI_FN void locusi_replay_figures(locusi_replay *a, double never, double *zero_cost, double *to)
{
    const locus_tradeoff *lead = &a->mean[a->models], *points = lead + 1;
    size_t i, p, k;
    memset(a->mean, 0, a->policies * sizeof *a->mean);
    for (i = 0; i < a->n; i++) {
        const double w = a->weight[i], *cost = a->cost + i * a->stride;
        const float *quality = a->quality + i * a->stride;
        for (p = 0; p < a->policies && w > 0.0; p++) {
            a->mean[p].cost += w * cost[p];
            a->mean[p].quality += w * (double)quality[p];
        }
    }
    for (p = 0; p < a->policies; p++) {
        a->mean[p].cost /= (double)a->n;
        a->mean[p].quality /= (double)a->n;
    }
    locusi_hull_of(&a->router, a->mean, a->policies, a->group, LOCUSI_OF_ROUTER);
    locusi_hull_of(&a->zero, a->mean, a->policies, a->group, LOCUSI_OF_ZERO);
    if (zero_cost) { // the range of costs stays
        a->low = a->zero.corners ? locusi_hull_corner(&a->zero, 0).cost : (double)locusi_nan();
        a->high = a->zero.corners ? locusi_hull_corner(&a->zero, a->zero.corners - 1).cost : (double)locusi_nan();
    }
    to[LOCUSI_AIQ] = locusi_hull_aiq(&a->router, a->low, a->high);
    to[LOCUSI_ZERO_AIQ] = locusi_hull_aiq(&a->zero, a->low, a->high);
    to[LOCUSI_AIQ_GAIN] = to[LOCUSI_AIQ] - to[LOCUSI_ZERO_AIQ];
    to[LOCUSI_AT_LEADER] = locusi_hull_quality(&a->router, lead->cost) - lead->quality;
    for (k = 0; k < LOCUS_FRONTIER_LEVELS; k++) {
        const double quality = locusi_levels[k] * lead->quality;
        double *cost = &to[LOCUSI_COST + k];
        *cost = locusi_hull_cost(&a->router, quality);
        if (zero_cost) zero_cost[k] = locusi_hull_cost(&a->zero, quality);
        if (locusi_unknown(*cost)) *cost = never;
        to[LOCUSI_SAVING + k] = lead->cost > 0.0 ? 1.0 - *cost / lead->cost : (double)locusi_nan();
    }
    for (p = 0; p < a->points; p++)
        to[LOCUSI_FIGURES + p] = points[p].quality - locusi_hull_quality(&a->zero, points[p].cost);
}

// What the caller sees of all queries; from here on the hulls are of these corners.
LOCUSI_FN void locusi_replay_report(locusi_replay *a, locus_frontier *out, locus_frontier_point *points,
                                    locus_zero_corner *zero)
{
    const size_t first = a->models + 1;
    size_t i, m, p, k;
    out->queries = a->n;
    out->points = a->points;
    out->corners = a->router.corners;
    out->zero_corners = a->zero.corners;
    out->leader_mean = a->mean[a->models];
    out->low = a->low;
    out->high = a->high;
    for (k = 0; k < LOCUS_FRONTIER_LEVELS; k++) out->level[k] = locusi_levels[k] * out->leader_mean.quality;
    memset(a->group, 0, a->policies);
    for (k = 0; k < a->zero.corners; k++) {
        const size_t pick = a->zero.corner[k];
        a->group[pick] = LOCUSI_OF_ZERO;
        zero[k].mean = locusi_hull_corner(&a->zero, k);
        zero[k].model = pick;
        zero[k].share = 1.0;
        if (pick < a->models) continue;
        memset(a->chance, 0, a->models * sizeof *a->chance); // how often each is taken
        for (i = 0; i < a->n; i++) a->chance[locusi_replay_blind(a, i, a->lambda[pick - first])] += 1.0 / (double)a->n;
        for (zero[k].model = 0, m = 1; m < a->models; m++)
            if (a->chance[m] > a->chance[zero[k].model]) zero[k].model = m;
        zero[k].share = a->chance[zero[k].model];
    }
    for (p = 0; p < a->points; p++) {
        memset(&points[p], 0, sizeof points[p]);
        points[p].lambda = a->lambda[p];
        points[p].cost = a->mean[first + p].cost;
        points[p].quality = a->mean[first + p].quality;
        for (i = 0; i < a->n; i++) points[p].right += a->quality[i * a->stride + first + p] > 0.5f;
        points[p].right /= (double)a->n;
    }
    for (k = 0; k < a->router.corners; k++) {
        a->group[a->router.corner[k]] = LOCUSI_OF_ROUTER;
        points[a->router.corner[k] - first].corner = 1;
    }
}

// ---- the gap between two models

// The gap recovered under these weights: mean over the share of queries, in order, that go to the strong
// one. mean[2] <- of both. reach (may be NULL): least shares that recover half and four fifths.
LOCUSI_FN double locusi_gap_area(const locusi_duel *pairs, const double *weight, size_t n, double *mean, double *reach)
{
    static const double wanted[2] = {0.5, 0.8};
    double area = 0.0, score = 0.0, before = 0.0, gone = 0.0, all;
    size_t i, k;
    mean[0] = mean[1] = 0.0;
    for (i = 0; i < n; i++)
        for (k = 0; k < 2; k++) mean[k] += weight[i] * pairs[i].score[k];
    all = mean[1] - mean[0];
    for (k = 0; reach && k < 2; k++) reach[k] = (double)locusi_nan();
    for (i = 0; i < n && all > 0.0; i++) {
        const double w = weight[i];
        score += w * (pairs[i].score[1] - pairs[i].score[0]);
        area += w * 0.5 * (before + score);
        for (k = 0; reach && k < 2; k++)
            if (locusi_unknown(reach[k]) && score >= wanted[k] * all && score > before)
                reach[k] = (gone + w * (wanted[k] * all - before) / (score - before)) / (double)n;
        before = score;
        gone += w;
    }
    mean[0] /= (double)n;
    mean[1] /= (double)n;
    return all > 0.0 ? area / (double)n / all : (double)locusi_nan();
}

LOCUSI_FN locus_status locusi_replay_gap(locusi_replay *a, size_t rows, locus_gap *out, locus_error *err)
{
    const locus_frontier_opts *o = a->o;
    const size_t model[2] = {o->weak, o->strong};
    locus_route_opts rules;
    locusi_rules r;
    size_t i, k, n = 0;
    double mean[2], reach[2];
    memset(&rules, 0, sizeof rules);
    if (o->rules) rules.available = o->rules->available, rules.query_available = o->rules->query_available;
    locusi_rules_make(&r, NULL, a->models, locus_pool_get_info(NULL).guard, &rules, 0);
    for (i = 0; i < rows; i++) {
        const float *row = a->logits + i * a->models;
        int candidates = 1;
        locusi_rules_at(&r, i);
        for (k = 0; k < 2; k++) {
            float y = 0.0f;
            const int scored = locusi_score_at(a->scores, model[k], o->columns ? o->columns[i] : i, &y);
            candidates &= (scored || o->among == LOCUS_AMONG_ALL) && locusi_candidate(&r, model[k]);
            a->pairs[n].score[k] = scored ? (double)y : 0.0;
        }
        if (!candidates) continue;
        a->pairs[n].by.key = locus_probability((double)row[o->strong]) - locus_probability((double)row[o->weak]);
        a->pairs[n].by.index = n;
        a->weight[n++] = 1.0;
    }
    if (!n)
        return locusi_fail(err, LOCUS_ERR_NO_CANDIDATE, "weak, strong", "a query on which both are candidates",
                           "none of %z", rows);
    locusi_sort(a->pairs, n, sizeof *a->pairs, locusi_falling);
    out->queries = n;
    out->recovered.value = locusi_gap_area(a->pairs, a->weight, n, mean, reach);
    out->weak = mean[0];
    out->strong = mean[1];
    out->calls_half = reach[0];
    out->calls_most = reach[1];
    for (i = 0; i < a->resamples; i++) {
        locusi_draw_weights(o->seed, i, n, a->weight);
        a->figures[i] = locusi_gap_area(a->pairs, a->weight, n, mean, NULL);
    }
    locusi_percentiles(a->figures, a->resamples, 1, a->level, a->spare, &out->recovered);
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_check_frontier(const locusi_replay *a, size_t n, locus_error *err)
{
    const locus_frontier_opts *o = a->o;
    locus_status status;
    if ((status = locusi_check_columns(a->scores, o->columns, n, o->among, o->leaders, o->leader_count, err)) ||
        (status = locusi_check_level(o->level, err)))
        return status;
    if (a->models > UINT32_MAX || o->points > UINT32_MAX || o->resamples > UINT32_MAX)
        return locusi_fail(err, LOCUS_ERR_OVERFLOW, "models, points, resamples", "fewer", "%z, %z, %z", a->models,
                           o->points, o->resamples);
    if (o->weak >= a->models || o->strong >= a->models)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "weak, strong", "models below %z", "%z and %z", a->models, o->weak,
                           o->strong);
    return locusi_check_logits(a->logits, n, a->models, 0, 1, err);
}

LOCUSI_FN void locusi_replay_run(locusi_replay *a, locusi_rules *r, locus_route_opts *rules, locus_frontier *out,
                                 locus_frontier_point *points, locus_zero_corner *zero, locus_single *singles)
{
    size_t width, i, m, k;
    out->random.cost /= (double)a->n;
    out->random.quality /= (double)a->n;
    out->oracle.cost /= (double)a->n;
    out->oracle.quality /= (double)a->n;
    for (m = 0; m < a->models; m++) {
        a->mean_cost[m] /= (double)a->n;
        singles[m].mean.cost /= (double)singles[m].candidate; // 0 / 0 is NaN
        singles[m].mean.quality /= (double)singles[m].candidate;
    }
    rules->available = NULL; // all that is now in the candidates
    rules->max_cost = 0.0;
    rules->unpriced = LOCUS_UNPRICED_AUTO;
    locusi_rules_make(r, NULL, a->models, locus_pool_get_info(NULL).guard, rules, 1);
    locusi_replay_route(a, r, rules);
    for (i = 0; i < a->policies; i++)
        a->group[i] = i > a->models && i <= a->models + a->points ? LOCUSI_OF_ROUTER : LOCUSI_OF_ZERO;
    for (m = 0; m < a->models; m++)
        if (singles[m].candidate < a->n) a->group[m] = 0; // with holes it is no point of the zero router
    a->group[a->models] = 0;
    for (i = 0; i < a->n; i++) a->weight[i] = 1.0;
    width = LOCUSI_FIGURES + a->points;
    locusi_replay_figures(a, (double)locusi_nan(), out->zero_cost, a->figures);
    locusi_replay_report(a, out, points, zero);
    for (i = 0; i < a->resamples; i++) {
        locusi_draw_weights(a->o->seed, i, a->n, a->weight);
        // beyond all costs, so that a percentile beyond what is reached is infinite
        locusi_replay_figures(a, HUGE_VAL, NULL, a->figures + (i + 1) * width);
    }
    for (k = 0; k < width; k++) {
        locus_interval *const first[LOCUSI_COST] = {&out->aiq, &out->zero_aiq, &out->aiq_gain, &out->at_leader};
        locus_interval *to = k < LOCUSI_COST      ? first[k]
                             : k < LOCUSI_SAVING  ? &out->cost[k - LOCUSI_COST]
                             : k < LOCUSI_FIGURES ? &out->saving[k - LOCUSI_SAVING]
                                                  : &points[k - LOCUSI_FIGURES].gain;
        to->value = a->figures[k];
        locusi_percentiles(a->figures + width + k, a->resamples, width, a->level, a->spare, to);
    }
}

LOCUS_API locus_status locus_frontier_compute(locus_frontier *out, locus_frontier_point *points,
                                              locus_zero_corner *zero, locus_single *singles, const float *logits,
                                              size_t n, const locus_scores *scores, const locus_frontier_opts *opts,
                                              const locus_run *run, locus_error *err)
{
    locus_frontier_opts none;
    locus_route_opts rules;
    locusi_rules r;
    locusi_replay a;
    locusi_work w;
    locus_status status;
    memset(&none, 0, sizeof none);
    memset(&a, 0, sizeof a);
    if (!out || !points || !zero) return locusi_null(err, !out ? "out" : !points ? "points" : "zero");
    if (!singles || !logits || !scores) return locusi_null(err, !singles ? "singles" : !logits ? "logits" : "scores");
    memset(out, 0, sizeof *out);
    a.o = opts ? opts : &none;
    a.scores = scores;
    a.logits = logits;
    a.models = scores->models;
    if ((status = locusi_check_frontier(&a, n, err))) return status;
    rules = *locusi_route_defaults(a.o->rules, &rules);
    rules.lambda = 0.0;
    locusi_rules_make(&r, NULL, a.models, locus_pool_get_info(NULL).guard, &rules, 1);
    if ((status = locusi_check_route(&r, n, err))) return status;
    a.wanted = a.o->points ? a.o->points : 64;
    a.resamples = a.o->resamples ? a.o->resamples : 1000;
    a.level = a.o->level > 0.0 ? a.o->level : 0.9;
    locusi_work_begin(&w, run);
    locusi_replay_take(&a, n, &w);
    status = locusi_work_short(&w, err);
    if (!status && a.pairs) status = locusi_replay_gap(&a, n, &out->gap, err);
    if (!status) {
        memset(singles, 0, a.models * sizeof *singles);
        locusi_replay_fill(&a, &r, n, singles, out);
        if (!a.n)
            status = locusi_fail(err, LOCUS_ERR_NO_CANDIDATE, "queries",
                                 "a query with an available model of known cost and, in a replay, with a score",
                                 "none of %z", n);
    }
    if (!status) locusi_replay_run(&a, &r, &rules, out, points, zero, singles);
    locusi_work_end(&w);
    return status;
}

// ----------------------------------------------------------------------------------------------------------- >>guard
//
// The highest of many noisy chances is too high (the winner's curse), so where one model leads by far, always taking it
// beats taking the likeliest. What the difference d of two chances is worth, the default's and the likeliest model's,
// is a matter of experience: the gain in score from changing is fitted as a + b d over the pool's own evaluations, each
// predicted without its fifth of the queries, a drawn to 0 and b to 1. The margin is where the gain is 0. Equal queries
// are in the same fifth.

#define LOCUSI_GUARD_PARTS ((size_t)5)
#define LOCUSI_GUARD_OFF 0.02   // prior deviation of a
#define LOCUSI_GUARD_SLOPE 0.25 // and of b

typedef struct locusi_guard_fit {
    double count, d, dd, gain, dgain, gaingain; // sums over queries where another model is likelier than the default
} locusi_guard_fit;

LOCUSI_FN double locusi_guard_margin(const locusi_guard_fit *f)
{
    const double count = f->count > 0.0 ? f->count : 1.0, mean = f->gain / count;
    const double spread = f->gaingain / count - mean * mean, v = spread > 0.05 ? spread : 0.05; // variance of a gain
    const double firm_a = 1.0 / (LOCUSI_GUARD_OFF * LOCUSI_GUARD_OFF),
                 firm_b = 1.0 / (LOCUSI_GUARD_SLOPE * LOCUSI_GUARD_SLOPE);
    const double aa = f->count / v + firm_a, ab = f->d / v, bb = f->dd / v + firm_b, det = aa * bb - ab * ab;
    const double ra = f->gain / v, rb = f->dgain / v + firm_b;
    const double a = (bb * ra - ab * rb) / det, b = (aa * rb - ab * ra) / det;
    if (!(b > 0.05)) return 1.0;
    return a < 0.0 ? locusi_clamp(-a / b, 0.0, 1.0) : 0.0;
}

typedef struct locusi_guard_job {
    const locus_pool *pool;
    const locus_evals *evals;
    const locus_queries *others; // as given to locusi_recall_learn
    const locusi_recall *recall; // the pool's, whose ratios and weight every part takes over; NULL: none
    const locus_run *run;
    float *scores, *z, *logits, *rows; // [models, n], [models, d], [n, models], [n, q]
    unsigned char *part, *whole;       // [n]; [models] 1: has nothing outside this part, so is predicted from all
    size_t *order, *at, count;         // [models]; [count] rows of this part
} locusi_guard_job;

// j->scores <- those outside a part.
LOCUSI_FN void locusi_guard_scores(locusi_guard_job *j, size_t part)
{
    const size_t n = j->evals->queries.count;
    size_t m, i;
    float y = 0.0f;
    for (m = 0; m < j->evals->scores.models; m++) {
        float *to = j->scores + m * n;
        j->whole[m] = 1;
        for (i = 0; i < n; i++) {
            const int has = j->part[i] != part && locusi_score(j->evals, m, i, &y);
            to[i] = has ? y : locusi_nan();
            if (has) j->whole[m] = 0;
        }
        for (i = 0; j->whole[m] && i < n; i++)
            if (locusi_score(j->evals, m, i, &y)) to[i] = y;
    }
}

// j->logits <- of one part's queries, from the evaluations outside it, by a pool made from them.
LOCUSI_FN locus_status locusi_guard_part(locusi_guard_job *j, size_t part, locus_pool *made, locusi_work *w,
                                         locus_error *err)
{
    const locus_net *net = j->pool->net;
    const size_t models = j->evals->scores.models, stride = j->evals->queries.stride;
    locus_evals rest = *j->evals;
    locus_queries asked = j->evals->queries;
    locusi_recall learned;
    locusi_recall_fit fit;
    locus_status status = LOCUS_OK;
    locus_run inner;
    size_t i, m;
    locusi_guard_scores(j, part);
    memset(&rest.scores, 0, sizeof rest.scores);
    rest.scores.models = models;
    rest.scores.f32 = j->scores;
    for (i = 0; i < j->count; i++)
        memcpy(j->rows + i * asked.dim, asked.encodings + j->at[i] * (stride ? stride : asked.dim),
               asked.dim * sizeof(float));
    asked.encodings = j->rows;
    asked.count = j->count;
    asked.stride = 0;
    for (m = 0; m < models; m++) memcpy(j->z + m * net->d, locus_pool_embedding(j->pool, m), net->d * sizeof(float));
    memset(&inner, 0, sizeof inner);
    if (j->run) inner.parallel = j->run->parallel, inner.progress = j->run->progress, inner.user = j->run->user;
    if (net->info.has_encoder) status = locus_encode(net, &rest, j->z, LOCUS_ENCODE_AUTO, &inner, err);
    for (m = 0; m < models && !status; m++)
        status = locus_pool_add(made, locus_pool_model(j->pool, m), j->z + m * net->d, NULL, err);
    if (!status && j->recall) {
        memset(&learned, 0, sizeof learned);
        memset(&fit, 0, sizeof fit);
        learned.q = net->q;
        learned.weight = j->recall->weight;
        memcpy(learned.ratio, j->recall->ratio, sizeof learned.ratio);
        fit.bare = 1;
        status = locusi_recall_learn(&learned, net->kernels, &rest, j->others, &fit, w, err);
        if (!status) status = locusi_pool_take_recall(made, &learned, &fit, err);
    }
    if (status) return status;
    inner.progress = NULL;
    return locus_predict(made, &asked, j->logits, &inner, err);
}

// What changing from the leader would have brought on one part's queries.
LOCUSI_FN void locusi_guard_gains(const locusi_guard_job *j, locusi_guard_fit *fit)
{
    const size_t models = j->evals->scores.models, leader = j->order[0];
    size_t i, m;
    float y = 0.0f, kept = 0.0f;
    for (i = 0; i < j->count && !j->whole[leader]; i++) {
        const float *row = j->logits + i * models;
        size_t best = leader;
        double d, gain;
        if (!locusi_score(j->evals, leader, j->at[i], &kept)) continue;
        for (m = 0; m < models; m++)
            if (!j->whole[m] && row[m] > row[best] && locusi_score(j->evals, m, j->at[i], &y)) best = m;
        if (best == leader) continue;
        locusi_score(j->evals, best, j->at[i], &y);
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

// *guard <- learned from checked evaluations. j's first five members are set.
LOCUSI_FN locus_status locusi_guard_learn(locusi_guard_job *j, locus_guard *guard, locus_error *err)
{
    const size_t models = j->evals->scores.models, n = j->evals->queries.count, q = j->evals->queries.dim;
    const size_t stride = j->evals->queries.stride ? j->evals->queries.stride : q;
    locusi_guard_fit fit;
    locus_scores scores;
    locusi_work w;
    size_t part, i, outside;
    locus_status status;
    memset(&fit, 0, sizeof fit);
    memset(&scores, 0, sizeof scores);
    locusi_work_begin(&w, NULL);
    locusi_take_arrays(&w, 2, models, n, &j->scores, &j->logits);
    j->z = locusi_take_floats(&w, models, j->pool->net->d);
    j->rows = locusi_take_floats(&w, n, q);
    j->part = (unsigned char *)locusi_take(&w, n, 1);
    j->whole = (unsigned char *)locusi_take(&w, models, 1);
    j->order = (size_t *)locusi_take(&w, models, sizeof(size_t));
    j->at = (size_t *)locusi_take(&w, n, sizeof(size_t));
    status = locusi_work_short(&w, err);
    for (i = 0; i < n && !status; i++) { // a row that nobody has a score on may hold anything
        const uint64_t hash =
            locusi_scored(j->evals, i) ? locusi_encoding_hash(j->evals->queries.encodings + i * stride, q) : 0;
        j->part[i] = locusi_scored(j->evals, i) ? (unsigned char)(hash % LOCUSI_GUARD_PARTS) : 255;
    }
    if (!status) {
        locusi_guard_scores(j, 254); // all
        scores.models = models;
        scores.count = n;
        scores.f32 = j->scores;
        status = locus_leaders(&scores, NULL, n, LOCUS_AMONG_SCORED, j->order, NULL, NULL, err);
    }
    for (part = 0; part < LOCUSI_GUARD_PARTS && !status; part++) {
        locus_pool *made = NULL;
        locusi_work inner;
        for (i = j->count = outside = 0; i < n; i++) {
            if (j->part[i] == part) j->at[j->count++] = i;
            else outside += j->part[i] != 255;
        }
        if (!j->count || !outside) continue;
        locusi_work_begin(&inner, NULL);
        status = locus_pool_create(&made, j->pool->net, models, NULL, NULL, err);
        if (!status) status = locusi_guard_part(j, part, made, &inner, err);
        if (!status) locusi_guard_gains(j, &fit);
        locus_pool_destroy(made);
        locusi_work_end(&inner);
    }
    if (!status) {
        guard->model = j->order[0];
        guard->margin = locusi_guard_margin(&fit);
    }
    locusi_work_end(&w);
    return status;
}

LOCUS_API locus_status locus_pool_learn(locus_pool *pool, const locus_evals *evals, const locus_learn_opts *opts,
                                        const locus_run *run, locus_error *err)
{
    const locus_queries *others = opts && opts->unlabelled.count ? &opts->unlabelled : NULL;
    const double weight = opts ? opts->recall_weight : 0.0;
    const int recalls = !opts || !opts->no_recall, guards = !opts || !opts->no_guard;
    locusi_recall learned;
    locusi_recall_fit fit;
    locus_guard guard;
    locusi_work w;
    locus_status status;
    if (!pool || !evals) return locusi_null(err, pool ? "evals" : "pool");
    if (run && run->memory)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "run->memory", "NULL: what is learned is allocated", "a pointer");
    if (pool->home.base)
        return locusi_fail(err, LOCUS_ERR_MEMORY, "pool", "a pool on the heap", "one in the caller's memory");
    if (!locusi_within(weight, 0.0, 1.0))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "opts->recall_weight", "0 to 1", "%f", weight);
    memset(&learned, 0, sizeof learned);
    memset(&fit, 0, sizeof fit);
    learned.q = pool->net->q;
    if ((status = locusi_check_evals(pool->net, evals, err)) ||
        (status = locusi_check_table(&evals->scores, pool->count, evals->queries.count, err)) ||
        (status = locusi_check_lengths(&learned, &evals->queries, evals, err)))
        return status;
    if (others && others->count >= UINT32_MAX)
        return locusi_fail(err, LOCUS_ERR_OVERFLOW, "opts->unlabelled", "fewer rows", "%z", others->count);
    if (others && ((status = locusi_check_queries(pool->net, others, err)) ||
                   (status = locusi_check_lengths(&learned, others, NULL, err))))
        return status;
    learned.weight = (float)(weight > 0.0                          ? weight
                             : pool->net->info.recall_weight > 0.0 ? pool->net->info.recall_weight
                                                                   : LOCUSI_RECALL_WEIGHT);
    locusi_work_begin(&w, NULL);
    if (recalls) status = locusi_recall_learn(&learned, pool->net->kernels, evals, others, &fit, &w, err);
    if (!status && guards) {
        locusi_guard_job job;
        memset(&job, 0, sizeof job);
        job.pool = pool, job.evals = evals, job.others = others, job.run = run;
        job.recall = recalls ? &learned : pool->memory.landmarks ? &pool->memory : NULL;
        status = locusi_guard_learn(&job, &guard, err);
    }
    if (!status && recalls) status = locusi_pool_take_recall(pool, &learned, &fit, err);
    if (!status && guards) pool->guard = guard;
    locusi_work_end(&w);
    return status;
}

#ifndef LOCUS_NO_EXPLORE
// ----------------------------------------------------------------------------------------------------- >>calibration
//
// Each model's pair (scale, shift) minimises the cross-entropy of its held-out evaluations plus a normal prior around
// the pool's pair, as firm as some evaluations of average information, v x^2 for the scale and v for the shift with
// v = p (1 - p): as many as the models' differences say (moments). The pool's pair does so for all evaluations
// together, around (1, 0) with a standard deviation of 1/2. All models answer the same queries, and a query that is
// hard for one is hard for others: what counts is the number of queries. So the pool's pair is then drawn back to (1,
// 0) as far as two standard errors over queries (Huber's sandwich, 1967) say that it may be chance, and the models'
// pairs with it. All of it is convex; Newton's steps, halved until the loss falls, in double.

#define LOCUSI_CALIBRATION_LEAST 0.01 // of a scale: a prediction may become dull, but is not turned round

typedef struct locusi_calibrate_sum {
    double loss, slope[2], bend[2], cross; // loss, its gradient and Hessian: diagonal, and scale with shift
    size_t pairs;
} locusi_calibrate_sum;

typedef struct locusi_calibrate_job {
    const locus_evals *evals;
    const float *logits;                     // [M, n]
    double pair[2], centre[2], precision[2]; // where sums are taken; the prior
    double *pairs;                           // [M, 2] to be learned; NULL: only sums at `pair`
    locusi_calibrate_sum *sums;              // [M]
    const locus_run *run;
} locusi_calibrate_job;

// What one model's evaluations say at a pair.
LOCUSI_FN void locusi_calibrate_at(const locusi_calibrate_job *job, size_t model, const double pair[2],
                                   locusi_calibrate_sum *s)
{
    const size_t n = job->evals->queries.count;
    size_t i;
    float y;
    memset(s, 0, sizeof *s);
    for (i = 0; i < n; i++) {
        double x, t, p, v;
        if (!locusi_score(job->evals, model, i, &y)) continue;
        x = (double)job->logits[model * n + i];
        t = pair[0] * x + pair[1];
        p = locus_probability(t);
        v = p * (1.0 - p);
        s->loss += (t > 0.0 ? t : 0.0) + log1p(exp(-fabs(t))) - (double)y * t;
        s->slope[0] += (p - (double)y) * x;
        s->slope[1] += p - (double)y;
        s->bend[0] += v * x * x;
        s->bend[1] += v;
        s->cross += v * x;
        s->pairs++;
    }
}

LOCUSI_FN void locusi_calibrate_run(locusi_calibrate_job *job);

// At a pair: of one model, or of all (SIZE_MAX), with the prior.
LOCUSI_FN void locusi_calibrate_loss(locusi_calibrate_job *job, size_t model, const double pair[2],
                                     locusi_calibrate_sum *s)
{
    size_t m, j;
    if (model != SIZE_MAX) {
        locusi_calibrate_at(job, model, pair, s);
    } else {
        memset(s, 0, sizeof *s);
        memcpy(job->pair, pair, sizeof job->pair);
        locusi_calibrate_run(job);
        for (m = 0; m < job->evals->scores.models; m++) {
            const locusi_calibrate_sum *one = &job->sums[m];
            s->loss += one->loss;
            for (j = 0; j < 2; j++) s->slope[j] += one->slope[j];
            for (j = 0; j < 2; j++) s->bend[j] += one->bend[j];
            s->cross += one->cross;
            s->pairs += one->pairs;
        }
    }
    for (j = 0; j < 2; j++) {
        const double off = pair[j] - job->centre[j];
        s->loss += 0.5 * job->precision[j] * off * off;
        s->slope[j] += job->precision[j] * off;
        s->bend[j] += job->precision[j];
    }
}

LOCUSI_FN void locusi_calibrate_bound(double pair[2])
{
    const double most = (double)LOCUSI_CALIBRATION_MOST;
    pair[0] = locusi_clamp(pair[0], LOCUSI_CALIBRATION_LEAST, most);
    pair[1] = locusi_clamp(pair[1], -most, most);
}

// pair <- from the centre to the least loss within bounds
LOCUSI_FN void locusi_calibrate_fit(locusi_calibrate_job *job, size_t model, double pair[2])
{
    locusi_calibrate_sum s, next;
    int step, half;
    memcpy(pair, job->centre, sizeof job->centre);
    locusi_calibrate_loss(job, model, pair, &s);
    for (step = 0; step < 100; step++) {
        const double det = s.bend[0] * s.bend[1] - s.cross * s.cross;
        double by[2], size = 1.0, to[2];
        by[0] = (s.cross * s.slope[1] - s.bend[1] * s.slope[0]) / det;
        by[1] = (s.cross * s.slope[0] - s.bend[0] * s.slope[1]) / det;
        if ((pair[0] <= LOCUSI_CALIBRATION_LEAST && by[0] < 0.0) ||
            (pair[0] >= (double)LOCUSI_CALIBRATION_MOST && by[0] > 0.0)) { // the scale stays at its bound
            by[0] = 0.0;
            by[1] = -s.slope[1] / s.bend[1];
        }
        for (half = 0; half < 40; half++, size *= 0.5) {
            to[0] = pair[0] + size * by[0];
            to[1] = pair[1] + size * by[1];
            locusi_calibrate_bound(to);
            locusi_calibrate_loss(job, model, to, &next);
            if (next.loss <= s.loss) break;
        }
        if (half == 40) break;
        memcpy(pair, to, sizeof to);
        if (!(-(by[0] * s.slope[0] + by[1] * s.slope[1]) > 1e-8)) break; // what there was to gain
        s = next;
    }
}

LOCUSI_FN void locusi_calibrate_item(void *arg, size_t worker, size_t model)
{
    locusi_calibrate_job *job = (locusi_calibrate_job *)arg;
    (void)worker;
    if (job->pairs) locusi_calibrate_fit(job, model, job->pairs + 2 * model);
    else locusi_calibrate_at(job, model, job->pair, &job->sums[model]);
}

LOCUSI_FN void locusi_calibrate_run(locusi_calibrate_job *job)
{
    locusi_each(job->run, locusi_run_workers(job->run), 0, job->evals->scores.models, locusi_calibrate_item, job);
}

// logits [M, n] <- plain ones, predicted for some queries at a time, those that a model has a score on.
LOCUSI_FN locus_status locusi_calibrate_predict(locusi_predict_job *job, const locus_evals *evals, float *logits,
                                                float *part, size_t part_rows, locus_error *err)
{
    const size_t n = evals->queries.count, models = evals->scores.models;
    size_t first, i, m;
    locus_status status = LOCUS_OK;
    for (first = 0; first < n && !status; first += i) {
        locus_queries q = locusi_queries_from(&evals->queries, first, part_rows);
        for (i = 0; i < q.count && locusi_scored(evals, first + i); i++) {}
        if (i == 0) { // a row that nobody has a score on: passed over
            i = 1;
            continue;
        }
        q.count = i;
        status = locusi_predict(job, &q, first, part, err);
        for (m = 0; m < models && !status; m++)
            for (i = 0; i < q.count; i++) logits[m * n + first + i] = part[i * models + m];
    }
    return status;
}

// Pseudo-evaluations that hold the models' scales (which 0) or shifts (1) to the pool's: such that their prior variance
// is what their first steps from the pool's pair vary beyond the noise.
LOCUSI_FN double locusi_calibrate_shrink(const locusi_calibrate_job *job, int which)
{
    double squares = 0.0, noise = 0.0, information = 0.0, pairs = 0.0, models = 0.0;
    size_t m;
    for (m = 0; m < job->evals->scores.models; m++) {
        const locusi_calibrate_sum *s = &job->sums[m];
        const double bend = s->bend[which];
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
    double squares[2] = {0.0, 0.0};
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
    for (j = 0; j < 2; j++) {
        const double off = shared[j] - job->centre[j], doubt = 4.0 * squares[j] / (s->bend[j] * s->bend[j]);
        shared[j] = job->centre[j] + (off * off > doubt ? off - doubt / off : 0.0);
    }
}

LOCUS_API locus_status locus_pool_calibrate(locus_pool *pool, const locus_evals *evals, const locus_run *run,
                                            locus_error *err)
{
    const size_t part_rows = 96;
    locusi_calibrate_job job;
    locusi_predict_job predict;
    locus_pool plain;
    locusi_calibrate_sum s;
    locusi_work w;
    float *logits, *part, y = 0.0f;
    double *pairs, shared[2], back[2];
    size_t m, i, j, n, used = 0;
    locus_status status;
    if (!pool) return locusi_null(err, "pool");
    if (!evals) {
        locusi_pool_uncalibrate(pool);
        return LOCUS_OK;
    }
    n = evals->queries.count;
    if ((status = locusi_check_queries(pool->net, &evals->queries, err)) ||
        (status = locusi_check_scores(&evals->scores, pool->count, n, err)))
        return status;
    for (m = 0; m < pool->count; m++)
        for (i = 0; i < n; i++) used += (size_t)locusi_score(evals, m, i, &y);
    if (!used) return locusi_fail(err, LOCUS_ERR_EMPTY_SET, "evals", "at least one evaluation", "none");
    plain = *pool;
    plain.calibrated = 0;
    memset(&job, 0, sizeof job);
    locusi_work_begin(&w, run);
    job.logits = logits = (float *)locusi_take(&w, pool->count, n * sizeof(float));
    part = (float *)locusi_take(&w, pool->count, part_rows * sizeof(float));
    job.sums = (locusi_calibrate_sum *)locusi_take(&w, pool->count, sizeof *job.sums);
    pairs = (double *)locusi_take(&w, pool->count, 2 * sizeof(double));
    locusi_predict_begin(&predict, &plain, part_rows, run ? run->parallel : NULL, &w);
    if ((status = locusi_work_short(&w, err)) ||
        (status = locusi_calibrate_predict(&predict, evals, logits, part, part_rows, err))) {
        locusi_work_end(&w);
        return status;
    }
    job.evals = evals;
    job.run = run;
    job.centre[0] = 1.0;
    job.precision[0] = job.precision[1] = 4.0;
    locusi_calibrate_fit(&job, SIZE_MAX, shared);
    locusi_calibrate_loss(&job, SIZE_MAX, shared, &s);
    memcpy(back, shared, sizeof back);
    locusi_calibrate_steady(&job, &s, shared);
    for (j = 0; j < 2; j++) {
        job.centre[j] = back[j];
        back[j] -= shared[j]; // one more, so that logits that are all 0 or all certain leave something to hold on to:
        job.precision[j] =
            1.0 + locusi_calibrate_shrink(&job, (int)j) * (s.bend[j] - job.precision[j]) / (double)s.pairs;
    }
    job.pairs = pairs;
    locusi_calibrate_run(&job);
    for (m = 0; m < pool->count; m++) {
        for (j = 0; j < 2; j++) pairs[2 * m + j] -= back[j];
        locusi_calibrate_bound(pairs + 2 * m);
        pool->calibration[m].scale = (float)pairs[2 * m];
        pool->calibration[m].shift = (float)pairs[2 * m + 1];
    }
    pool->calibration_shared.scale = (float)shared[0];
    pool->calibration_shared.shift = (float)shared[1];
    pool->calibrated = 1;
    locusi_work_end(&w);
    return LOCUS_OK;
}

LOCUS_API locus_status locus_reliability(const float *logits, size_t n, const locus_scores *scores,
                                         const size_t *columns, size_t model, locus_bin *bins, size_t count,
                                         double *ece, locus_error *err)
{
    size_t i, m, models, all = 0;
    double gap = 0.0;
    float y;
    locus_status status;
    if (!scores || !bins) return locusi_null(err, !scores ? "scores" : "bins");
    if (!logits && n) return locusi_null(err, "logits");
    if ((status = locusi_check_columns(scores, columns, n, LOCUS_AMONG_ALL, NULL, 0, err))) return status;
    models = scores->models;
    if (model >= models && model != SIZE_MAX)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "model", "below %z, or SIZE_MAX", "%z", models, model);
    if (!count) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "count", "at least 1", "0");
    memset(bins, 0, count * sizeof *bins);
    for (i = 0; i < n; i++)
        for (m = model == SIZE_MAX ? 0 : model; m < (model == SIZE_MAX ? models : model + 1); m++) {
            const float logit = logits[i * models + m];
            const double p = locus_probability((double)logit);
            locus_bin *const b = bins + (locusi_is_nan(logit) ? 0 : locusi_bin(p, count));
            if (!locusi_score_at(scores, m, columns ? columns[i] : i, &y)) continue;
            if (locusi_is_nan(logit))
                return locusi_fail(err, LOCUS_ERR_NONFINITE, "logits[%z, %z]", "a number", "NaN", i, m);
            b->predicted += p;
            b->observed += (double)y;
            b->pairs++;
            all++;
        }
    for (i = 0; i < count; i++) { // an empty one's means: 0 / 0 is NaN
        locus_bin *b = &bins[i];
        gap += fabs(b->predicted - b->observed);
        b->predicted /= (double)b->pairs;
        b->observed /= (double)b->pairs;
    }
    if (ece) *ece = gap / (double)all;
    return LOCUS_OK;
}

// ---------------------------------------------------------------------------------------------------------- >>points
//
// Every metric follows from one number of each pair, t = u_a + u_b - a . b, and grows with it:
//
//     cosine            rows scaled to length 1        u = 1/2           t
//     Euclidean, RMS    rows less the mean, scaled     u = |a|^2 / 2     sqrt(2 t) / scale, for RMS by sqrt(dim)
//     disagreement      rows as they are               u = sum(a) / 2    2 t / dim
//
// So the distances of many rows are a matrix product, in tiles that stay in the cache. Where t is small beside u_a +
// u_b, the product's rounding is all that is left of it: such a distance is taken anew from the two rows, in double
// (locusi_apart). That is also what neighbours are told apart by.

#define LOCUSI_POINT_LIMIT 1e18f // larger numbers are refused: no distance shall overflow

// Rows that can be read, of finite and sensible numbers; with `chances`, of numbers in [0,1].
LOCUSI_FN locus_status locusi_check_points(const locus_points *p, const char *name, int chances, locus_error *err)
{
    const size_t stride = p && p->stride ? p->stride : p ? p->dim : 0;
    size_t i, j, cells;
    if (!p) return locusi_null(err, name);
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
                return locusi_fail(err, LOCUS_ERR_NONFINITE, "%s[%z, %z]", "a finite number of sensible size", "%f",
                                   name, i, j, (double)x);
            if (chances && (x < 0.0f || x > 1.0f))
                return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s[%z, %z]", "a chance, 0 to 1", "%f", name, i, j,
                                   (double)x);
        }
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_check_metric(const locus_points *p, const char *name, locus_metric metric,
                                           locus_error *err)
{
    if ((unsigned)metric >= (unsigned)LOCUS_METRIC_COUNT)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "metric", "one of locus_metric", "%d", (int)metric);
    return locusi_check_points(p, name, metric == LOCUS_DISAGREEMENT, err);
}

// ---- work in items, spread over the workers; with a progress function, in rounds, so that it is called in between, on
// the calling thread

// done of total: what the caller's progress function is told before the first of these items; total 0: nothing
LOCUSI_FN locus_status locusi_sweep_run(void (*item)(void *arg, size_t worker, size_t item), void *arg, size_t items,
                                        size_t done, size_t total, const locus_run *run, locus_error *err)
{
    const size_t workers = locusi_run_workers(run), round = total && run && run->progress ? 16 * workers : items;
    locus_status status;
    size_t first, count;
    for (first = 0; first < items; first += count) {
        count = items - first < round ? items - first : round;
        if (total && (status = locusi_report(run, done + first, total, err))) return status;
        locusi_each(run, workers, first, count, item, arg);
    }
    return LOCUS_OK;
}

// ---- profiles

typedef struct locusi_profiler { // what chances are made in
    const locus_pool *pool;
    const locus_run *run;
    size_t block;  // queries at a time
    float *logits; // [block, models]
    locusi_predict_job job;
} locusi_profiler;

LOCUSI_FN void locusi_profiler_take(locusi_profiler *p, const locus_pool *pool, size_t queries, const locus_run *run,
                                    locusi_work *w)
{
    p->pool = pool;
    p->run = run;
    p->block = locusi_route_block(pool, queries);
    p->logits = locusi_take_floats(w, p->block, pool->count);
    locusi_predict_begin(&p->job, pool, p->block, run ? run->parallel : NULL, w);
}

// profiles[models, queries] <- of the pool's models from `first` on
LOCUSI_FN locus_status locusi_profiler_run(locusi_profiler *p, const locus_queries *queries, size_t first,
                                           size_t models, float *profiles, locus_error *err)
{
    const size_t n = queries->count, all = p->pool->count;
    locus_queries part;
    locus_status status;
    size_t at, i, m, tile;
    for (at = 0; at < n; at += part.count) {
        part = locusi_queries_from(queries, at, p->block);
        if ((status = locusi_report(p->run, at, n, err)) ||
            (status = locusi_predict(&p->job, &part, at, p->logits, err)))
            return status;
        for (tile = 0; tile < models; tile += 16) // one line of logits at a time
            for (i = 0; i < part.count; i++)
                for (m = tile; m < models && m < tile + 16; m++)
                    profiles[m * n + at + i] = (float)locus_probability((double)p->logits[i * all + first + m]);
    }
    return LOCUS_OK;
}

LOCUS_API locus_status locus_profiles(const locus_pool *pool, const locus_queries *queries, const locus_scores *known,
                                      float *profiles, const locus_run *run, locus_error *err)
{
    locusi_profiler p;
    locusi_work w;
    locus_status status;
    size_t m, i;
    float y;
    if (!pool || !queries || !profiles) return locusi_null(err, !pool ? "pool" : !queries ? "queries" : "profiles");
    if ((status = locusi_check_queries(pool->net, queries, err))) return status;
    if (!pool->count || !queries->count) return LOCUS_OK;
    if (known && (status = locusi_check_scores(known, pool->count, queries->count, err))) return status;
    locusi_work_begin(&w, run);
    locusi_profiler_take(&p, pool, queries->count, run, &w);
    if (!(status = locusi_work_short(&w, err)))
        status = locusi_profiler_run(&p, queries, 0, pool->count, profiles, err);
    locusi_work_end(&w);
    for (m = 0; !status && known && m < pool->count; m++)
        for (i = 0; i < queries->count; i++)
            if (locusi_score_in(known, locusi_score_row(known, queries->count, m) + i, &y))
                profiles[m * queries->count + i] = y;
    return status;
}

// ---- distances

typedef struct locusi_side { // rows as one side of the product
    const float *rows;
    size_t count, stride;
    double *size;  // [count] see locusi_row_size
    float *term;   // [padded count] u
    float *packed; // [dim -> padded count], for the right side
} locusi_side;

typedef struct locusi_space {
    locus_metric metric;
    int root; // 1: Euclidean or RMS
    const locusi_kernels *k;
    size_t dim;
    double *mean;       // [dim] of the right side's rows; 0 but for `root`
    double scale, unit; // a power of 2 for `root`, else 1; of 2 t, or of its root, to make a distance
} locusi_space;

#define LOCUSI_FAR 1e30f // the term of columns that are none

static LOCUSI_INLINE double locusi_row_term(const float *x, const float *y, size_t k, int squares)
{
    const double p = (double)x[k], q = (double)y[k];
    return squares ? (p - q) * (p - q) : p * q;
}

// Sum over two rows, of squared differences or of products. Four chains: the additions wait for one another.
LOCUSI_FN double locusi_row_sum(const float *x, const float *y, size_t n, int squares)
{
    double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0;
    size_t k;
    for (k = 0; k + 4 <= n; k += 4) {
        s0 += locusi_row_term(x, y, k, squares);
        s1 += locusi_row_term(x, y, k + 1, squares);
        s2 += locusi_row_term(x, y, k + 2, squares);
        s3 += locusi_row_term(x, y, k + 3, squares);
    }
    for (; k < n; k++) s0 += locusi_row_term(x, y, k, squares);
    return (s0 + s1) + (s2 + s3);
}

// Row i as it stands in the product, times `sign`, its numbers `step` apart
LOCUSI_FN void locusi_row_take(const locusi_space *s, const locusi_side *side, size_t i, double sign, float *out,
                               size_t step)
{
    const float *row = side->rows + i * side->stride;
    double factor = sign * s->scale;
    size_t j;
    if (s->metric == LOCUS_COSINE) factor = side->size[i] > 0.0 ? sign / side->size[i] : 0.0;
    for (j = 0; j < s->dim; j++) out[j * step] = (float)(((double)row[j] - s->mean[j]) * factor);
}

LOCUSI_FN void locusi_side_take(locusi_side *side, const locus_points *p, int pack, locusi_work *w)
{
    side->rows = p->rows;
    side->count = p->count;
    side->stride = p->stride ? p->stride : p->dim;
    side->size = (double *)locusi_take(w, p->count, sizeof(double));
    side->term = (float *)locusi_take(w, p->count + 16, sizeof(float));
    side->packed = pack ? (float *)locusi_take_zero(w, p->count + 16, p->dim * sizeof(float)) : NULL;
}

// Cosine: the row's length; disagreement: its sum; else its distance from the mean
LOCUSI_FN double locusi_row_size(const locusi_space *s, const float *row)
{
    double sum = 0.0;
    size_t j;
    for (j = 0; j < s->dim; j++) {
        const double x = (double)row[j] - s->mean[j];
        sum += s->metric == LOCUS_DISAGREEMENT ? x : x * x;
    }
    return s->metric == LOCUS_DISAGREEMENT ? sum : sqrt(sum);
}

LOCUSI_FN locus_status locusi_space_take(locusi_space *s, locus_metric metric, size_t dim, locusi_work *w,
                                         const locus_run *run, locus_error *err)
{
    locus_isa isa = run ? run->isa : LOCUS_ISA_AUTO;
    const locus_status status = locusi_isa_choose(&isa, err);
    memset(s, 0, sizeof *s);
    if (status) return status;
    s->metric = metric;
    s->root = metric == LOCUS_EUCLIDEAN || metric == LOCUS_RMS;
    s->k = locusi_kernels_for(isa);
    s->dim = dim;
    s->mean = (double *)locusi_take_zero(w, dim, sizeof(double));
    return LOCUS_OK;
}

// Sizes, terms and the packed rows. |a - b| is the same for rows less any vector; the mean makes them short, and scaled
// so that the longest is about 1, none overflows or vanishes.
LOCUSI_FN void locusi_space_prepare(locusi_space *s, locusi_side *a, locusi_side *b)
{
    double most = 0.0;
    size_t i, j, which;
    int exponent;
    for (i = 0; s->root && i < b->count; i++)
        for (j = 0; j < s->dim; j++) s->mean[j] += (double)b->rows[i * b->stride + j];
    for (j = 0; s->root && j < s->dim; j++) s->mean[j] /= (double)b->count;
    for (which = 0; which < (a == b ? 1u : 2u); which++) {
        locusi_side *side = which ? a : b;
        for (i = 0; i < side->count; i++) {
            side->size[i] = locusi_row_size(s, side->rows + i * side->stride);
            most = side->size[i] > most ? side->size[i] : most;
        }
    }
    (void)frexp(most, &exponent);
    s->scale = s->root ? ldexp(1.0, -exponent) : 1.0;
    s->unit = s->metric == LOCUS_COSINE         ? 0.5
              : s->metric == LOCUS_DISAGREEMENT ? 1.0 / (double)s->dim
              : s->metric == LOCUS_RMS          ? 1.0 / s->scale / sqrt((double)s->dim)
                                                : 1.0 / s->scale;
    for (which = 0; which < (a == b ? 1u : 2u); which++) {
        locusi_side *side = which ? a : b;
        for (i = 0; i < locusi_pad(side->count); i++) {
            const double size = i < side->count ? side->size[i] * s->scale : 0.0;
            side->term[i] = i >= side->count            ? LOCUSI_FAR
                            : s->metric == LOCUS_COSINE ? 0.5f
                                                        : (float)(0.5 * (s->root ? size * size : size));
            if (side->packed && i < side->count)
                locusi_row_take(s, side, i, 1.0, side->packed + i / 16 * 16 * s->dim + i % 16, 16);
        }
    }
}

// The distance of two rows, from the rows themselves: the same for (a, b) and (b, a), 0 for equal rows.
LOCUSI_FN float locusi_apart(const locusi_space *s, const locusi_side *a, size_t i, const locusi_side *b, size_t j)
{
    const double sum = locusi_row_sum(a->rows + i * a->stride, b->rows + j * b->stride, s->dim, s->root);
    double x;
    if (s->root) return (float)(sqrt(sum) * (s->unit * s->scale));
    if (s->metric == LOCUS_COSINE)
        x = a->size[i] > 0.0 && b->size[j] > 0.0 ? 1.0 - sum / (a->size[i] * b->size[j]) : 1.0;
    else x = (a->size[i] + b->size[j] - 2.0 * sum) / (double)s->dim;
    return x < 1e-14 ? 0.0f : (float)x; // less than the rounding of 1
}

#define LOCUSI_PAIR_ROWS ((size_t)192)
#define LOCUSI_PAIR_COLUMNS ((size_t)256)
#define LOCUSI_PAIR_LD (LOCUSI_PAIR_COLUMNS + 16) // not a power of 2: rows shall not meet in the same cache lines

typedef struct locusi_pairs { // all rows of a meet all rows of b
    locusi_space space;
    locusi_side left, right, *a, *b; // a is b where all rows meet all rows of the same list
    float *tile;                     // [workers] [PAIR_ROWS, dim], then [PAIR_ROWS, PAIR_LD]
    size_t items;                    // tiles of rows
    // Row i of a and the columns at .. of b: c = -a . b (+ bias)
    void (*meet)(const struct locusi_pairs *p, size_t i, size_t at, size_t width, const float *c);
    float *out;               // distances: [a, b]
    locus_neighbour *nearest; // neighbours: [a, k]
    size_t k;
    float *bias;  // neighbours: [padded count of b] its terms, LOCUSI_FAR: not looked at
    float *reach; // neighbours: [tiles of b] largest term
    double slack; // neighbours: rounding of c in units of u_a + u_b, at most
} locusi_pairs;

// Takes what the pairs need from w. The points are checked; a NULL: b.
LOCUSI_FN locus_status locusi_pairs_open(locusi_pairs *p, const locus_points *a, const locus_points *b,
                                         locus_metric metric, locusi_work *w, const locus_run *run, locus_error *err)
{
    locus_status status;
    memset(p, 0, sizeof *p);
    if ((status = locusi_space_take(&p->space, metric, b->dim, w, run, err))) return status;
    p->b = &p->right;
    p->a = a ? &p->left : p->b;
    if (a) locusi_side_take(&p->left, a, 0, w);
    locusi_side_take(&p->right, b, 1, w);
    p->items = (p->a->count + LOCUSI_PAIR_ROWS - 1) / LOCUSI_PAIR_ROWS;
    p->tile =
        (float *)locusi_take(w, locusi_run_workers(run) * LOCUSI_PAIR_ROWS, (b->dim + LOCUSI_PAIR_LD) * sizeof(float));
    return LOCUS_OK;
}

LOCUSI_FN void locusi_pairs_item(void *arg, size_t worker, size_t item)
{
    const locusi_pairs *p = (const locusi_pairs *)arg;
    const size_t first = item * LOCUSI_PAIR_ROWS, dim = p->space.dim, n = p->b->count;
    const size_t rows = p->a->count - first < LOCUSI_PAIR_ROWS ? p->a->count - first : LOCUSI_PAIR_ROWS;
    float *a = p->tile + worker * LOCUSI_PAIR_ROWS * (dim + LOCUSI_PAIR_LD), *c = a + LOCUSI_PAIR_ROWS * dim;
    size_t at, r, k;
    locusi_matmul m;
    for (r = 0; r < rows; r++) locusi_row_take(&p->space, p->a, first + r, -1.0, a + r * dim, 1);
    memset(&m, 0, sizeof m);
    m.lda = dim, m.step = 1, m.rows = rows;
    m.ldb = 16, m.panel = 16 * dim;
    m.c = c, m.ldc = m.ldr = LOCUSI_PAIR_LD;
    for (at = 0; at < n; at += LOCUSI_PAIR_COLUMNS) {
        const size_t width = n - at < LOCUSI_PAIR_COLUMNS ? n - at : LOCUSI_PAIR_COLUMNS;
        m.panels = locusi_pad(width) / 16;
        for (k = 0; k < dim; k += m.k) { // long rows in parts: the sums' rounding stays small
            m.k = dim - k < 256 ? dim - k : 256;
            m.a = a + k;
            m.b = p->b->packed + at * dim + 16 * k;
            m.bias = k || !p->bias ? NULL : p->bias + at;
            m.residual = k ? c : NULL;
            p->space.k->matmul(&m);
        }
        for (r = 0; r < rows; r++) p->meet(p, first + r, at, width, c + r * LOCUSI_PAIR_LD);
    }
}

// One number for each pair, whichever tile and thread it comes from, and for (b, a).
LOCUSI_FN void locusi_meet_distances(const locusi_pairs *p, size_t i, size_t at, size_t width, const float *c)
{
    const locusi_space *s = &p->space;
    float *out = p->out + i * p->b->count + at;
    size_t j;
    for (j = 0; j < width; j++) {
        const float u = p->a->term[i] + p->b->term[at + j], t = u + c[j];
        if (t < 0.1f * u) out[j] = locusi_apart(s, p->a, i, p->b, at + j);
        else out[j] = (float)((s->root ? sqrt(2.0 * (double)t) : 2.0 * (double)t) * s->unit);
    }
}

LOCUSI_FN locus_status locusi_distances_run(locusi_pairs *p, float *out, size_t total, const locus_run *run,
                                            locus_error *err)
{
    p->meet = locusi_meet_distances;
    p->out = out;
    locusi_space_prepare(&p->space, p->a, p->b);
    return locusi_sweep_run(locusi_pairs_item, p, p->items, 0, total, run, err);
}

LOCUS_API locus_status locus_distances(const locus_points *a, const locus_points *b, locus_metric metric, float *out,
                                       const locus_run *run, locus_error *err)
{
    locusi_pairs pairs;
    locusi_work w;
    locus_status status;
    if ((status = locusi_check_metric(a, "a", metric, err)) ||
        (b && (status = locusi_check_metric(b, "b", metric, err))))
        return status;
    if (!a->count || (b && !b->count)) return LOCUS_OK;
    if (b && b->dim != a->dim) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "b.dim", "%z, a's", "%z", a->dim, b->dim);
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "an array", "NULL");
    locusi_work_begin(&w, run);
    if (!(status = locusi_pairs_open(&pairs, b ? a : NULL, b ? b : a, metric, &w, run, err)) &&
        !(status = locusi_work_short(&w, err)))
        status = locusi_distances_run(&pairs, out, pairs.items, run, err);
    locusi_work_end(&w);
    return status ? status : locusi_report(run, pairs.items, pairs.items, err);
}

// ------------------------------------------------------------------------------------------------------ >>neighbours
//
// From the product a row looks only at those that may be nearer than the farthest that it keeps, allowing for the
// product's rounding: so few that the distance of each is taken from the rows themselves. What is found is exact, and
// the same with every instruction set.

// The largest -a . b + u_b that the product can give in this tile for a row no farther than `farthest`
LOCUSI_FN float locusi_reach(const locusi_pairs *p, size_t i, float farthest, size_t at)
{
    const double u = (double)p->a->term[i], d = (double)farthest / p->space.unit;
    double t = 0.5 * (p->space.root ? d * d : d);
    if (!(farthest > 0.0f)) return -FLT_MAX; // of equals the first is kept, and columns ascend
    t = t * 1.000001 + p->slack * (u + (double)p->reach[at / LOCUSI_PAIR_COLUMNS]) + 1e-30 - u;
    return t < 1e29 ? (float)t : 1e29f; // less than LOCUSI_FAR
}

LOCUSI_FN void locusi_meet_nearest(const locusi_pairs *p, size_t i, size_t at, size_t width, const float *c)
{
    locus_neighbour *list = p->nearest + i * p->k, it;
    float limit = locusi_reach(p, i, list[p->k - 1].distance, at);
    size_t j = 0, lane, place;
    width = locusi_pad(width);
    for (; (j = p->space.k->find(c, j, width, limit)) < width; j += 16)
        for (lane = j; lane < j + 16; lane++) {
            if (c[lane] > limit || (p->a == p->b && at + lane == i)) continue;
            it.index = at + lane;
            it.distance = locusi_apart(&p->space, p->a, i, p->b, it.index);
            if (!(it.distance < list[p->k - 1].distance)) continue;
            for (place = p->k - 1; place > 0 && it.distance < list[place - 1].distance; place--)
                list[place] = list[place - 1];
            list[place] = it;
            limit = locusi_reach(p, i, list[p->k - 1].distance, at);
        }
}

LOCUSI_FN locus_status locusi_neighbours_run(locusi_pairs *p, const unsigned char *available, const locus_run *run,
                                             locus_error *err)
{
    const size_t n = p->b->count, chain = p->space.dim < 256 ? p->space.dim : 256;
    const size_t roundings = 2 * chain + p->space.dim / 256 + 20;
    size_t j;
    p->meet = locusi_meet_nearest;
    locusi_space_prepare(&p->space, p->a, p->b);
    // |a . b| <= |a| |b| <= sqrt(2 u_a 2 u_b) <= u_a + u_b. Each step of a chain rounds once, or twice without a fused
    // multiply-add, by 2^-24 at most; the rest is for the rounding of coordinates, terms and limit.
    p->slack = (double)roundings / 16777216.0;
    for (j = 0; j < locusi_pad(n); j++) {
        float *reach = &p->reach[j / LOCUSI_PAIR_COLUMNS];
        p->bias[j] = j < n && (!available || available[j]) ? p->b->term[j] : LOCUSI_FAR;
        if (p->bias[j] < LOCUSI_FAR && p->bias[j] > *reach) *reach = p->bias[j];
    }
    return locusi_sweep_run(locusi_pairs_item, p, p->items, 0, p->items, run, err);
}

LOCUS_API locus_status locus_neighbours(const locus_points *points, const locus_points *of, locus_metric metric,
                                        const unsigned char *available, size_t k, locus_neighbour *out,
                                        const locus_run *run, locus_error *err)
{
    locusi_pairs pairs;
    locusi_work w;
    locus_status status;
    size_t rows, cells, i;
    if ((status = locusi_check_metric(points, "points", metric, err)) ||
        (of && (status = locusi_check_metric(of, "of", metric, err))))
        return status;
    rows = of ? of->count : points->count;
    if (!rows || !k) return LOCUS_OK;
    if (of && points->count && of->dim != points->dim)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "of.dim", "%z, the points'", "%z", points->dim, of->dim);
    if (!out) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "out", "an array", "NULL");
    if (!locusi_mul(rows, k, &cells) || cells > SIZE_MAX / sizeof(locus_neighbour))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "k", "a list that fits into memory", "%z x %z", rows, k);
    locusi_work_begin(&w, run);
    if (!(status = locusi_pairs_open(&pairs, of, points, metric, &w, run, err))) {
        pairs.bias = (float *)locusi_take(&w, points->count + 16, sizeof(float));
        pairs.reach = (float *)locusi_take_zero(&w, points->count / LOCUSI_PAIR_COLUMNS + 1, sizeof(float));
        pairs.nearest = out;
        pairs.k = k;
        status = locusi_work_short(&w, err);
    }
    for (i = 0; !status && i < cells; i++) {
        out[i].index = SIZE_MAX;
        out[i].distance = FLT_MAX;
    }
    if (!status && points->count) status = locusi_neighbours_run(&pairs, available, run, err);
    locusi_work_end(&w);
    return status ? status : locusi_report(run, pairs.items, pairs.items, err);
}

// -------------------------------------------------------------------------------------------------------- >>clusters
//
// A chain of nearest neighbours is followed until two clusters are each other's nearest; they are merged, and the chain
// goes on from what is left of it. The merged one's distances follow from its parts' (Lance and Williams 1967).

// d[n, n] <- the matrix of all distances, each row's from itself being 0
LOCUSI_FN locus_status locusi_matrix_run(locusi_pairs *p, float *d, size_t total, const locus_run *run,
                                         locus_error *err)
{
    const locus_status status = locusi_distances_run(p, d, total, run, err);
    size_t i;
    for (i = 0; i < p->b->count; i++) d[i * p->b->count + i] = 0.0f;
    return status;
}

typedef struct locusi_chain {
    float *d; // [n, n] between clusters, each of which stands in the place of one of its rows
    size_t n, living;
    locus_linkage linkage;
    uint32_t *size, *alive, *stack; // [n] of each cluster; those that there are; the chain
} locusi_chain;

// The nearest living cluster of i; of equals first `prefer` (if it is below n), then the lowest place.
LOCUSI_FN size_t locusi_chain_nearest(const locusi_chain *c, size_t i, size_t prefer)
{
    const float *d = c->d + i * c->n;
    size_t best = prefer, at;
    for (at = 0; at < c->living; at++) {
        const size_t j = c->alive[at];
        if (j != i && (best >= c->n || d[j] < d[best])) best = j;
    }
    return best;
}

// b takes a in.
LOCUSI_FN void locusi_chain_merge(locusi_chain *c, size_t a, size_t b)
{
    const double m = (double)c->size[a], n = (double)c->size[b], between = (double)c->d[a * c->n + b];
    size_t at, to = 0;
    for (at = 0; at < c->living; at++) {
        const size_t j = c->alive[at];
        const double x = (double)c->d[a * c->n + j], y = (double)c->d[b * c->n + j], k = (double)c->size[j];
        double merged;
        if (j == a) continue;
        c->alive[to++] = (uint32_t)j;
        if (j == b) continue;
        if (c->linkage == LOCUS_AVERAGE) merged = (m * x + n * y) / (m + n);
        else if (c->linkage == LOCUS_COMPLETE) merged = x > y ? x : y;
        else if (c->linkage == LOCUS_SINGLE) merged = x < y ? x : y;
        else merged = sqrt(((m + k) * x * x + (n + k) * y * y - k * between * between) / (m + n + k));
        c->d[b * c->n + j] = c->d[j * c->n + b] = (float)merged;
    }
    c->living = to;
    c->size[b] += c->size[a];
}

LOCUSI_FN locus_status locusi_chain_run(locusi_chain *c, locus_merge *merges, size_t done, const locus_run *run,
                                        locus_error *err)
{
    locus_status status;
    size_t i, depth = 0, merged = 0;
    for (i = 0; i < c->n; i++) {
        c->size[i] = 1;
        c->alive[i] = (uint32_t)i;
    }
    c->living = c->n;
    while (merged + 1 < c->n) {
        size_t top, next;
        if (!depth) c->stack[depth++] = c->alive[0];
        top = c->stack[depth - 1];
        next = locusi_chain_nearest(c, top, depth > 1 ? c->stack[depth - 2] : SIZE_MAX);
        if (depth < 2 || next != c->stack[depth - 2]) {
            c->stack[depth++] = (uint32_t)next;
            continue;
        }
        depth -= 2;
        merges[merged].a = top < next ? top : next;
        merges[merged].b = top < next ? next : top;
        merges[merged].height = (double)c->d[top * c->n + next];
        merges[merged].size = merged; // for now: at equal heights their order
        locusi_chain_merge(c, merges[merged].a, merges[merged].b);
        merged++;
        if (merged % 256 == 0 && (status = locusi_report(run, done + merged, done + c->n, err))) return status;
    }
    return LOCUS_OK;
}

LOCUSI_FN int locusi_merge_order(const void *a, const void *b)
{
    const locus_merge *x = (const locus_merge *)a, *y = (const locus_merge *)b;
    if (x->height < y->height || y->height < x->height) return x->height < y->height ? -1 : 1;
    return x->size < y->size ? -1 : x->size > y->size;
}

LOCUSI_FN size_t locusi_root(size_t *parent, size_t i)
{
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

// Merges named by a row of each side, in the chain's order -> by height, named by cluster. parent: [2 n]
LOCUSI_FN void locusi_merges_finish(locus_merge *merges, size_t n, size_t *parent)
{
    size_t i;
    locusi_sort(merges, n - 1, sizeof *merges, locusi_merge_order);
    for (i = 0; i < 2 * n; i++) parent[i] = i;
    for (i = 0; i + 1 < n; i++) {
        const size_t a = locusi_root(parent, merges[i].a), b = locusi_root(parent, merges[i].b);
        parent[a] = parent[b] = n + i;
        merges[i].a = a < b ? a : b;
        merges[i].b = a < b ? b : a;
        merges[i].size = (a < n ? 1 : merges[a - n].size) + (b < n ? 1 : merges[b - n].size);
    }
}

LOCUS_API locus_status locus_cluster(const locus_points *points, locus_metric metric, locus_linkage linkage,
                                     locus_merge *merges, const locus_run *run, locus_error *err)
{
    locusi_pairs pairs;
    locusi_chain c;
    locusi_work w;
    locus_status status;
    size_t n, total, *parent;
    if ((status = locusi_check_metric(points, "points", metric, err))) return status;
    if ((unsigned)linkage > (unsigned)LOCUS_WARD)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "linkage", "one of locus_linkage", "%d", (int)linkage);
    if (linkage == LOCUS_WARD && metric != LOCUS_EUCLIDEAN && metric != LOCUS_RMS)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "metric", "Euclidean or RMS, for Ward's linkage", "another");
    n = points->count;
    if (n < 2) return LOCUS_OK;
    if (!merges) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "merges", "an array", "NULL");
    locusi_work_begin(&w, run);
    c.n = n;
    c.linkage = linkage;
    c.d = (float *)locusi_take(&w, n, n * sizeof(float));
    status = locusi_pairs_open(&pairs, NULL, points, metric, &w, run, err);
    c.size = (uint32_t *)locusi_take(&w, n, sizeof(uint32_t));
    c.alive = (uint32_t *)locusi_take(&w, n, sizeof(uint32_t));
    c.stack = (uint32_t *)locusi_take(&w, n, sizeof(uint32_t));
    parent = (size_t *)locusi_take(&w, n, 2 * sizeof(size_t));
    total = pairs.items + n;
    if (!status && !(status = locusi_work_short(&w, err)) &&
        !(status = locusi_matrix_run(&pairs, c.d, total, run, err)) &&
        !(status = locusi_chain_run(&c, merges, pairs.items, run, err)))
        locusi_merges_finish(merges, n, parent);
    locusi_work_end(&w);
    return status ? status : locusi_report(run, total, total, err);
}

LOCUSI_FN locus_status locusi_cut(const locus_merge *merges, size_t n, size_t count, double height, size_t *label,
                                  size_t *row, size_t *clusters, locus_error *err)
{
    size_t i, a = 0, b = 0;
    for (i = 0; i < n; i++) label[i] = i; // the next row on the way to the first of its cluster
    for (i = 0; i + 1 < n; i++) {         // row[i]: some row of cluster n + i
        const locus_merge *m = &merges[i];
        int bad = m->a >= m->b || m->b >= n + i || locusi_unknown(m->height) || (i && m->height < m[-1].height);
        if (!bad) {
            row[i] = a = m->a < n ? m->a : row[m->a - n];
            b = m->b < n ? m->b : row[m->b - n];
            if (count ? i + count >= n : m->height > height) continue;
            a = locusi_root(label, a);
            b = locusi_root(label, b);
            bad = a == b;
        }
        if (bad)
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "merges[%z]",
                               "a tree's: earlier clusters, each once; heights that never fall", "another", i);
        label[a > b ? a : b] = a > b ? b : a;
    }
    for (i = 0; i < n; i++) row[i] = label[i] == i ? (*clusters)++ : row[label[i]]; // a row points to an earlier one
    memcpy(label, row, n * sizeof(size_t));
    return LOCUS_OK;
}

LOCUS_API locus_status locus_cluster_cut(const locus_merge *merges, size_t n, size_t count, double height,
                                         size_t *label, size_t *clusters, const locus_run *run, locus_error *err)
{
    size_t *row, found = 0;
    locusi_work w;
    locus_status status;
    if (clusters) *clusters = 0;
    if (count > n) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "count", "at most %z, the rows", "%z", n, count);
    if (!count && locusi_unknown(height)) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "height", "a number", "NaN");
    if (!n) return LOCUS_OK;
    if (!label || (n > 1 && !merges))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "an array", "NULL", !label ? "label" : "merges");
    locusi_work_begin(&w, run);
    row = (size_t *)locusi_take(&w, n, sizeof(size_t));
    if (!(status = locusi_work_short(&w, err))) status = locusi_cut(merges, n, count, height, label, row, &found, err);
    locusi_work_end(&w);
    if (clusters) *clusters = found;
    return status;
}

// ---- medoids

LOCUSI_FN locus_status locusi_check_picks(const locus_points *p, const unsigned char *available, size_t k,
                                          const size_t *picks, locus_error *err)
{
    size_t i, candidates = 0;
    for (i = 0; i < p->count; i++) candidates += !available || available[i];
    if (k > candidates)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "k", "at most %z, the available rows", "%z", candidates, k);
    if (k && !picks) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "picks", "an array", "NULL");
    return LOCUS_OK;
}

typedef struct locusi_medoids_job {
    float *d; // [n, n]
    size_t n, *picks;
    float *nearest;        // [n] distance of the nearest medoid
    double *sum;           // [n] of all these, if the row were one, too
    unsigned char *closed; // [n] 1: a medoid, or not to be one
} locusi_medoids_job;

// nearest <- of the first k medoids but this one
LOCUSI_FN void locusi_medoids_nearest(locusi_medoids_job *job, size_t k, size_t but)
{
    size_t i, m;
    for (i = 0; i < job->n; i++) job->nearest[i] = FLT_MAX;
    for (m = 0; m < k; m++)
        for (i = 0; m != but && i < job->n; i++) {
            const float d = job->d[job->picks[m] * job->n + i];
            if (d < job->nearest[i]) job->nearest[i] = d;
        }
}

LOCUSI_FN void locusi_medoids_item(void *arg, size_t worker, size_t x)
{
    locusi_medoids_job *job = (locusi_medoids_job *)arg;
    const float *d = job->d + x * job->n;
    double sum = 0.0;
    size_t i;
    (void)worker;
    for (i = 0; i < job->n; i++) sum += (double)(d[i] < job->nearest[i] ? d[i] : job->nearest[i]);
    job->sum[x] = sum;
}

// Greedy, always the row that takes most off the sum of distances; then each medoid in turn gives way to the row that
// is best in its place, until none of a whole round does.
LOCUSI_FN locus_status locusi_medoids_run(locusi_medoids_job *job, size_t k, size_t done, const locus_run *run,
                                          locus_error *err)
{
    size_t i, m, best, idle, picked = 0;
    locus_status status;
    for (m = idle = 0; idle < k; m = m + 1 < k ? m + 1 : 0, idle++) {
        const int first = picked < k;
        if ((status = locusi_report(run, done + (first ? 0 : idle), done + k, err))) return status;
        locusi_medoids_nearest(job, picked, m);
        (void)locusi_sweep_run(locusi_medoids_item, job, job->n, 0, 0, run, err);
        for (i = 0, best = first ? SIZE_MAX : job->picks[m]; i < job->n; i++)
            if (!job->closed[i] && (best == SIZE_MAX || job->sum[i] < job->sum[best])) best = i;
        if (!first && !(job->sum[best] < job->sum[job->picks[m]] * (1.0 - 1e-9))) continue;
        if (!first) job->closed[job->picks[m]] = 0;
        job->closed[best] = 1;
        job->picks[m] = best;
        picked += (size_t)first;
        idle = SIZE_MAX; // 0 in a moment
    }
    return LOCUS_OK;
}

LOCUSI_FN int locusi_size_order(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

LOCUS_API locus_status locus_medoids(const locus_points *points, locus_metric metric, const unsigned char *available,
                                     size_t k, size_t *picks, size_t *label, double *mean_distance,
                                     const locus_run *run, locus_error *err)
{
    locusi_medoids_job job;
    locusi_pairs pairs;
    locusi_work w;
    locus_status status;
    double sum = 0.0;
    size_t n, i, m, total;
    if (mean_distance) *mean_distance = 0.0;
    if ((status = locusi_check_metric(points, "points", metric, err)) ||
        (status = locusi_check_picks(points, available, k, picks, err)))
        return status;
    n = points->count;
    if (!n) return LOCUS_OK;
    if (!k) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "k", "at least 1", "0");
    locusi_work_begin(&w, run);
    job.n = n;
    job.picks = picks;
    job.d = (float *)locusi_take(&w, n, n * sizeof(float));
    status = locusi_pairs_open(&pairs, NULL, points, metric, &w, run, err);
    job.nearest = (float *)locusi_take(&w, n, sizeof(float));
    job.sum = (double *)locusi_take(&w, n, sizeof(double));
    job.closed = (unsigned char *)locusi_take(&w, n, 1);
    total = pairs.items + k;
    if (!status && !(status = locusi_work_short(&w, err)) &&
        !(status = locusi_matrix_run(&pairs, job.d, total, run, err))) {
        for (i = 0; i < n; i++) job.closed[i] = available && !available[i];
        status = locusi_medoids_run(&job, k, pairs.items, run, err);
    }
    for (i = 0; !status && i < n; i++) {
        size_t place = 0;
        if (!i) locusi_sort(picks, k, sizeof *picks, locusi_size_order);
        for (m = 1; m < k; m++)
            if (job.d[i * n + picks[m]] < job.d[i * n + picks[place]]) place = m;
        if (label) label[i] = place;
        sum += (double)job.d[i * n + picks[place]];
    }
    if (mean_distance) *mean_distance = sum / (double)n;
    locusi_work_end(&w);
    return status ? status : locusi_report(run, total, total, err);
}

// ------------------------------------------------------------------------------------------------------- >>portfolio

// ---- by geometry alone

#define LOCUSI_MEDOID_ROWS ((size_t)4096) // up to so many rows the 1-medoid is looked for among all pairs

// sum[n] <- how far each row is from all others; of many rows, from their mean, which is put into `row` [dim].
LOCUSI_FN locus_status locusi_center_sums(const locusi_space *s, const locusi_side *side, double *sum, double *total,
                                          float *row, const locus_run *run, locus_error *err)
{
    const size_t n = side->count;
    locusi_side mean;
    locus_status status;
    double size;
    size_t i, j;
    memset(sum, 0, n * sizeof *sum);
    for (i = 0; n <= LOCUSI_MEDOID_ROWS && i < n; i++) {
        if (i % 256 == 0 && (status = locusi_report(run, i, n, err))) return status;
        for (j = 0; j < i; j++) {
            const double d = (double)locusi_apart(s, side, i, side, j);
            sum[i] += d;
            sum[j] += d;
        }
    }
    if (n <= LOCUSI_MEDOID_ROWS) return LOCUS_OK;
    memset(total, 0, s->dim * sizeof *total);
    for (i = 0; i < n; i++) {
        locusi_row_take(s, side, i, 1.0, row, 1);
        for (j = 0; j < s->dim; j++) total[j] += (double)row[j];
    }
    for (j = 0; j < s->dim; j++) row[j] = (float)(s->mean[j] + total[j] / (double)n / s->scale);
    memset(&mean, 0, sizeof mean);
    size = locusi_row_size(s, row);
    mean.rows = row;
    mean.size = &size;
    for (i = 0; i < n; i++) sum[i] = (double)locusi_apart(s, side, i, &mean, 0);
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_centers_run(const locusi_space *s, const locusi_side *side, const double *sum,
                                          unsigned char *closed, float *nearest, size_t k, size_t *picks, float *radius,
                                          const locus_run *run, locus_error *err)
{
    const size_t n = side->count;
    locus_status status;
    size_t i, picked, pick = n;
    for (i = 0; i < n; i++) {
        nearest[i] = FLT_MAX;
        if (!closed[i] && (pick == n || sum[i] < sum[pick])) pick = i;
    }
    for (picked = 0; picked < k; picked++) {
        size_t next = n;
        float most = 0.0f;
        if ((status = locusi_report(run, picked, k, err))) return status;
        picks[picked] = pick;
        closed[pick] = 1;
        for (i = 0; i < n; i++) {
            const float d = i == pick ? 0.0f : locusi_apart(s, side, pick, side, i);
            if (d < nearest[i]) nearest[i] = d;
            if (nearest[i] > most) most = nearest[i];
            if (!closed[i] && (next == n || nearest[i] > nearest[next])) next = i;
        }
        if (radius) radius[picked] = most;
        pick = next;
    }
    return locusi_report(run, k, k, err);
}

LOCUS_API locus_status locus_centers(const locus_points *points, locus_metric metric, const unsigned char *available,
                                     size_t k, size_t *picks, float *radius, const locus_run *run, locus_error *err)
{
    locusi_space s;
    locusi_side side;
    locusi_work w;
    locus_status status;
    double *sum, *total;
    float *row, *nearest;
    unsigned char *closed;
    size_t i;
    if ((status = locusi_check_metric(points, "points", metric, err)) ||
        (status = locusi_check_picks(points, available, k, picks, err)))
        return status;
    if (!k) return LOCUS_OK;
    locusi_work_begin(&w, run);
    status = locusi_space_take(&s, metric, points->dim, &w, run, err);
    locusi_side_take(&side, points, 0, &w);
    nearest = (float *)locusi_take(&w, points->count, sizeof(float));
    sum = (double *)locusi_take(&w, points->count, sizeof(double));
    closed = (unsigned char *)locusi_take(&w, points->count, 1);
    total = (double *)locusi_take(&w, points->dim, sizeof(double));
    row = (float *)locusi_take(&w, points->dim, sizeof(float));
    if (!status && !(status = locusi_work_short(&w, err))) {
        locusi_space_prepare(&s, &side, &side);
        for (i = 0; i < points->count; i++) closed[i] = available && !available[i];
        if (!(status = locusi_center_sums(&s, &side, sum, total, row, run, err)))
            status = locusi_centers_run(&s, &side, sum, closed, nearest, k, picks, radius, run, err);
    }
    locusi_work_end(&w);
    return status;
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

#define LOCUSI_SWAP_LEAST 1e-12          // improvements up to this are none
#define LOCUSI_BOUND_STEPS ((size_t)300) // fewer where there is very much to read
#define LOCUSI_STALLED ((size_t)10)      // steps without a smaller bound: go on with half the length
#define LOCUSI_PROVEN 1e-10              // a bound as near as this to the value is as good as reached

typedef struct locusi_worth { // of a model that may come in
    double key;               // net gain, or that per cost
    int64_t gain;             // over the levels
    size_t model;
} locusi_worth;

typedef struct locusi_portfolio_job {
    const locus_portfolio_opts *o;
    const locus_run *run;
    const locusi_kernels *k;
    const float *rows;
    size_t models, queries, stride, limit, required; // limit: models in a set; of them required
    double budget, fixed, unit;                      // DBL_MAX: none; cost of the required; value of 1 in the sums
    double *price;                                   // [models]
    unsigned char *may, *in;                         // [models] may it be picked at all? is it in the set?
    const unsigned char *only;                       // [models] all that is looked at for now; NULL: all
    int64_t *gain;                                   // [models]
    locusi_worth *worth;                             // [models]
    double *weight, *slope;                          // [queries]
    float *floor, *level;                            // [queries] floor: the best of the required
    size_t *set, *other, count, other_count;         // [limit] members, the required first; the best set so far
    double spent, other_net;
    int64_t base;
    size_t done, total;
} locusi_portfolio_job;

LOCUSI_FN const float *locusi_profile_row(const locusi_portfolio_job *j, size_t m) { return j->rows + m * j->stride; }

LOCUSI_FN double locusi_net_gain(const locusi_portfolio_job *j, size_t m)
{
    return (double)j->gain[m] * j->unit - j->o->lambda * j->price[m];
}

LOCUSI_FN int64_t locusi_covered(const locusi_portfolio_job *j, const float *p, const float *levels)
{
    return j->k->cover(p, levels, j->weight, j->queries);
}

// The levels rise to what the model has.
LOCUSI_FN void locusi_raise(const locusi_portfolio_job *j, float *levels, size_t m)
{
    const float *p = locusi_profile_row(j, m);
    size_t i;
    for (i = 0; i < j->queries; i++)
        if (p[i] > levels[i]) levels[i] = p[i];
}

LOCUSI_FN locus_status locusi_portfolio_step(locusi_portfolio_job *j, locus_error *err)
{
    return locusi_report(j->run, j->done < j->total ? j->done++ : j->total, j->total, err);
}

LOCUSI_FN void locusi_gains_item(void *arg, size_t worker, size_t item)
{
    locusi_portfolio_job *j = (locusi_portfolio_job *)arg;
    size_t m = 16 * item;
    (void)worker;
    for (; m < j->models && m < 16 * item + 16; m++)
        if (j->may[m] && (!j->only || j->only[m]))
            j->gain[m] = locusi_covered(j, locusi_profile_row(j, m), j->level) - j->base;
}

// gain[m] <- what each model that may be picked adds to the levels, whose own sum is j->base.
LOCUSI_FN void locusi_gains(locusi_portfolio_job *j)
{
    j->base = locusi_covered(j, j->level, j->level);
    (void)locusi_sweep_run(locusi_gains_item, j, (j->models + 15) / 16, 0, 0, j->run, NULL);
}

LOCUSI_FN locusi_worth locusi_worth_of(const locusi_portfolio_job *j, size_t m, int by_density)
{
    const double net = locusi_net_gain(j, m), cost = j->price[m];
    locusi_worth w;
    w.key = !by_density ? net : cost > 0.0 && net / cost < DBL_MAX ? net / cost : DBL_MAX;
    w.gain = j->gain[m];
    w.model = m;
    return w;
}

// Highest key first, then largest gain, then lowest index
LOCUSI_FN int locusi_worth_order(const void *a, const void *b)
{
    const locusi_worth *x = (const locusi_worth *)a, *y = (const locusi_worth *)b;
    if (x->key > y->key || y->key > x->key) return x->key > y->key ? -1 : 1;
    if (x->gain != y->gain) return x->gain > y->gain ? -1 : 1;
    return x->model < y->model ? -1 : x->model > y->model;
}

// worth <- all that may be picked and whose net gain over the levels is positive: how many.
LOCUSI_FN size_t locusi_worths(locusi_portfolio_job *j, int by_density)
{
    size_t m, n = 0;
    for (m = 0; m < j->models; m++)
        if (j->may[m] && (!j->only || j->only[m]) && locusi_net_gain(j, m) > 0.0)
            j->worth[n++] = locusi_worth_of(j, m, by_density);
    return n;
}

// level <- the best of the set without its member `but`, and j->spent.
LOCUSI_FN void locusi_portfolio_levels(locusi_portfolio_job *j, size_t but)
{
    size_t i;
    memset(j->level, 0, j->queries * sizeof(float));
    for (i = 0, j->spent = 0.0; i < j->count; i++) {
        if (i == but) continue;
        j->spent += j->price[j->set[i]];
        locusi_raise(j, j->level, j->set[i]);
    }
}

// The affordable model that is best in place `at` of the set, beside its other members; NULL: none gains anything.
LOCUSI_FN const locusi_worth *locusi_best_at(locusi_portfolio_job *j, size_t at, int by_density)
{
    const locusi_worth *best = NULL;
    size_t i, n;
    locusi_portfolio_levels(j, at);
    locusi_gains(j); // of members none, but of the one that is out for now
    n = locusi_worths(j, by_density);
    for (i = 0; i < n; i++)
        if (j->spent + j->price[j->worth[i].model] <= j->budget &&
            (!best || locusi_worth_order(&j->worth[i], best) < 0))
            best = &j->worth[i];
    return best;
}

// ---- greedy

// set <- the required, then always the model of largest net gain (per cost) that is still affordable.
LOCUSI_FN locus_status locusi_greedy(locusi_portfolio_job *j, int by_density, double *net, locus_error *err)
{
    const locusi_worth *best;
    locus_status status;
    for (j->count = j->required; j->count < j->limit; j->count++) {
        if (!(best = locusi_best_at(j, j->count, by_density))) break;
        j->set[j->count] = best->model;
        if ((status = locusi_portfolio_step(j, err))) return status;
    }
    locusi_portfolio_levels(j, SIZE_MAX);
    *net = (double)locusi_covered(j, j->level, j->level) * j->unit - j->o->lambda * j->spent;
    return LOCUS_OK;
}

// ---- swaps

// Each member in turn is exchanged for the model that is best in its place, or for none, and one is added where there
// is room, until nothing helps.
LOCUSI_FN locus_status locusi_swaps(locusi_portfolio_job *j, locus_error *err)
{
    const locusi_worth *best;
    locus_status status;
    size_t at, idle;
    for (at = idle = 0; idle <= j->count; at = at < j->count ? at + 1 : 0, idle++) {
        const int adds = at == j->count;
        if (adds ? j->count == j->limit : at < j->required) continue;
        if ((status = locusi_portfolio_step(j, err))) return status;
        best = locusi_best_at(j, at, 0);
        if (!((best ? best->key : 0.0) > (adds ? 0.0 : locusi_net_gain(j, j->set[at])) + LOCUSI_SWAP_LEAST)) continue;
        if (adds) j->count++;
        j->set[at] = best ? best->model : j->set[--j->count];
        idle = SIZE_MAX; // 0 in a moment
    }
    return LOCUS_OK;
}

// Greedy, then swaps, then what is left of it in the order of gain; kept if it is better than the best so far.
LOCUSI_FN locus_status locusi_portfolio_start(locusi_portfolio_job *j, int by_density, locus_error *err)
{
    double net;
    size_t i;
    locus_status status = locusi_greedy(j, by_density, &net, err);
    if (!status && !j->o->greedy_only && !(status = locusi_swaps(j, err))) {
        memset(j->in, 0, j->models);
        for (i = 0; i < j->count; i++) j->in[j->set[i]] = 1;
        j->only = j->in;
        status = locusi_greedy(j, 0, &net, err);
        j->only = NULL;
    }
    if (status || !(net > j->other_net)) return status;
    memcpy(j->other, j->set, j->count * sizeof *j->set);
    j->other_count = j->count;
    j->other_net = net;
    return LOCUS_OK;
}

// ---- the bound

// The largest sum of net gains within one limit: the number of models, or (by_density) the budget. It is made up of the
// first *end in worth; of the last one *part counts.
LOCUSI_FN double locusi_relax(locusi_portfolio_job *j, int by_density, size_t *end, double *part)
{
    const size_t left = locusi_worths(j, by_density), room = j->limit - j->required;
    double money = j->budget - j->fixed, sum = 0.0;
    size_t i;
    money += 1e-12 * j->budget; // the sets that are held against it may have rounded down
    locusi_sort(j->worth, left, sizeof *j->worth, locusi_worth_order);
    for (i = 0, *part = 1.0; i < left && (by_density || i < room); i++) {
        const double cost = j->price[j->worth[i].model];
        if (by_density && cost > 0.0 && !(money > 0.0)) break;
        if (by_density && cost > money) *part = money / cost;
        sum += *part * locusi_net_gain(j, j->worth[i].model);
        money -= cost;
    }
    *end = i;
    return sum;
}

// One step down the slope of the bound that the first `end` of worth make up: a level falls where none of them goes
// beyond it, and rises where several do. 0: there is no slope.
LOCUSI_FN int locusi_portfolio_descend(locusi_portfolio_job *j, size_t end, double part, double length)
{
    double norm = 0.0;
    size_t i, q;
    for (q = 0; q < j->queries; q++) j->slope[q] = 1.0;
    for (i = 0; i < end; i++) {
        const float *p = locusi_profile_row(j, j->worth[i].model);
        const double share = i + 1 == end ? part : 1.0;
        for (q = 0; q < j->queries; q++)
            if (p[q] > j->level[q]) j->slope[q] -= share;
    }
    for (q = 0; q < j->queries; q++) {
        if (!(j->weight[q] > 0.0) || (j->slope[q] > 0.0 && j->level[q] <= j->floor[q])) j->slope[q] = 0.0;
        norm += j->slope[q] * j->slope[q];
    }
    for (q = 0; norm > 0.0 && q < j->queries; q++) {
        double level = (double)j->level[q];
        if (!(fabs(j->slope[q]) > 0.0)) continue;
        level -= length / norm * j->slope[q] / (j->weight[q] * j->unit);
        j->level[q] = level >= 1.0 ? 1.0f : level > (double)j->floor[q] ? (float)level : j->floor[q];
    }
    return norm > 0.0;
}

// *bound <- the smallest that was found, for the best of the required models as levels, then from the best of the best
// set on.
LOCUSI_FN locus_status locusi_portfolio_bound(locusi_portfolio_job *j, size_t steps, double *bound, locus_error *err)
{
    double reach = 1.0, here, other, part;
    size_t step, i, stalled = 0, end;
    locus_status status;
    *bound = DBL_MAX;
    memcpy(j->level, j->floor, j->queries * sizeof(float));
    for (step = 0; step < steps && LOCUSI_PROVEN < *bound - j->other_net; step++) {
        if ((status = locusi_portfolio_step(j, err))) return status;
        if (step == 1)
            for (i = 0; i < j->other_count; i++) locusi_raise(j, j->level, j->other[i]);
        locusi_gains(j);
        here = locusi_relax(j, 0, &end, &part);
        if (j->budget < DBL_MAX) { // within both limits: the smaller of the two
            other = locusi_relax(j, 1, &end, &part);
            if (other < here) here = other;
            else (void)locusi_relax(j, 0, &end, &part);
        }
        here += (double)j->base * j->unit - j->o->lambda * j->fixed;
        stalled = here < *bound ? 0 : stalled + 1;
        if (here < *bound) *bound = here;
        if (step > 0 && !locusi_portfolio_descend(j, end, part, reach * (here - j->other_net))) break;
        if (stalled < LOCUSI_STALLED) continue;
        stalled = 0;
        reach *= 0.5;
    }
    return LOCUS_OK;
}

// ---- together

LOCUSI_FN locus_status locusi_check_amounts(const float *x, size_t n, const char *name, locus_error *err)
{
    size_t i;
    for (i = 0; x && i < n; i++)
        if (!locusi_finite(x[i]) || x[i] < 0.0f)
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s[%z]", "finite and not negative", "%f", name, i,
                               (double)x[i]);
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_check_portfolio(const locus_points *profiles, const locus_portfolio_opts *o,
                                              locus_error *err)
{
    const double limits[] = {o->budget, o->lambda};
    locus_status status;
    size_t i;
    for (i = 0; i < 2; i++) {
        const char *name = i ? "lambda" : "budget";
        if (!locusi_within(limits[i], 0.0, DBL_MAX))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "finite and not negative", "%f", name, limits[i]);
        if (limits[i] > 0.0 && !o->cost)
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "cost", "costs, for the %s", "NULL", name);
    }
    if ((status = locusi_check_points(profiles, "profiles", 1, err)) ||
        (status = locusi_check_amounts(o->cost, profiles->count, "cost", err)))
        return status;
    return locusi_check_amounts(o->weight, profiles->dim, "weight", err);
}

LOCUSI_FN locus_status locusi_portfolio_take(locusi_portfolio_job *j, locusi_work *w, locus_error *err)
{
    j->gain = (int64_t *)locusi_take_zero(w, j->models, sizeof(int64_t));
    j->price = (double *)locusi_take(w, j->models, sizeof(double));
    j->may = (unsigned char *)locusi_take_zero(w, j->models, 1);
    j->in = (unsigned char *)locusi_take(w, j->models, 1);
    j->worth = (locusi_worth *)locusi_take(w, j->models, sizeof(locusi_worth));
    locusi_take_doubles(w, 2, j->queries, 1, &j->weight, &j->slope);
    j->floor = (float *)locusi_take_zero(w, j->queries, sizeof(float));
    j->level = (float *)locusi_take(w, j->queries, sizeof(float));
    j->set = (size_t *)locusi_take(w, j->limit, sizeof(size_t));
    j->other = (size_t *)locusi_take(w, j->limit, sizeof(size_t));
    return locusi_work_short(w, err);
}

// Weights, prices and what is required; *mass <- the summed weights.
LOCUSI_FN locus_status locusi_portfolio_prepare(locusi_portfolio_job *j, locus_error *err)
{
    const locus_portfolio_opts *o = j->o;
    double mass = 0.0;
    size_t i, candidates = 0;
    int exponent;
    for (i = 0; i < j->queries; i++) mass += o->weight ? (double)o->weight[i] : 1.0;
    if (!(mass > 0.0)) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "weight", "one above 0", "none");
    (void)frexp(mass, &exponent); // in units of which all together make at most 2^50
    for (i = 0; i < j->queries; i++) j->weight[i] = ldexp(o->weight ? (double)o->weight[i] : 1.0, 50 - exponent);
    j->unit = 1.0 / ldexp(mass, 50 - exponent);
    for (i = 0; i < j->models; i++) {
        j->price[i] = o->cost ? (double)o->cost[i] : 0.0;
        if (!o->required || !o->required[i]) continue;
        if (j->required == j->limit)
            return locusi_fail(err, LOCUS_ERR_BUDGET, "count", "as many as the required models", "%z", o->count);
        j->set[j->required++] = i;
        j->fixed += j->price[i];
        locusi_raise(j, j->floor, i);
    }
    if (j->fixed > j->budget)
        return locusi_fail(err, LOCUS_ERR_BUDGET, "budget", "at least %f, the cost of the required models", "%f",
                           j->fixed, o->budget);
    for (i = 0; i < j->models; i++) {
        j->may[i] = (!o->available || o->available[i]) && !(o->required && o->required[i]) &&
                    j->fixed + j->price[i] <= j->budget;
        candidates += j->may[i];
    }
    if (candidates + j->required == 0)
        return locusi_fail(err, LOCUS_ERR_NO_CANDIDATE, "profiles", "an available model within the limits",
                           "none of %z", j->models);
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_portfolio_run(locusi_portfolio_job *j, size_t *picks, double *value_of,
                                            locus_portfolio *out, locus_error *err)
{
    const double volume = (double)j->models * (double)j->queries, lambda = j->o->lambda;
    const int by_cost = j->budget < DBL_MAX || lambda > 0.0;
    size_t i, steps;
    locus_status status = locusi_portfolio_prepare(j, err);
    if (status) return status;
    // Greedy by gain begins with the best affordable model, so the better of the two is never worse than that one.
    // Where costs count for anything, each start has its own swaps: they often end in different places.
    steps = volume * (double)LOCUSI_BOUND_STEPS < 8e9 ? LOCUSI_BOUND_STEPS : volume < 1e9 ? (size_t)(8e9 / volume) : 8;
    j->total = j->limit * (by_cost ? 2 : 1) + steps;
    j->other_net = -DBL_MAX;
    if ((status = locusi_portfolio_start(j, 0, err)) || (by_cost && (status = locusi_portfolio_start(j, 1, err))) ||
        (status = locusi_portfolio_bound(j, steps, &out->bound, err)))
        return status;
    memset(j->level, 0, j->queries * sizeof(float));
    out->count = j->other_count;
    for (i = 0; i < out->count; i++) {
        picks[i] = j->other[i];
        out->cost += j->price[picks[i]];
        locusi_raise(j, j->level, picks[i]);
        if (value_of) value_of[i] = (double)locusi_covered(j, j->level, j->level) * j->unit;
    }
    out->value = (double)locusi_covered(j, j->level, j->level) * j->unit;
    if (out->bound < out->value - lambda * out->cost) out->bound = out->value - lambda * out->cost;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_portfolio_choose(const locus_points *profiles, const locus_portfolio_opts *opts,
                                              size_t *picks, double *value_of, locus_portfolio *out,
                                              const locus_run *run, locus_error *err)
{
    const locus_portfolio_opts zero = {0, 0.0, 0.0, NULL, NULL, NULL, NULL, 0};
    locus_isa isa = run ? run->isa : LOCUS_ISA_AUTO;
    locusi_portfolio_job j;
    locusi_work w;
    locus_status status;
    memset(&j, 0, sizeof j);
    j.o = opts ? opts : &zero;
    j.run = run;
    if (!picks || !out) return locusi_null(err, !picks ? "picks" : "out");
    memset(out, 0, sizeof *out);
    if ((status = locusi_check_portfolio(profiles, j.o, err)) || (status = locusi_isa_choose(&isa, err))) return status;
    j.k = locusi_kernels_for(isa);
    j.rows = profiles->rows;
    j.models = profiles->count;
    j.queries = profiles->dim;
    j.stride = profiles->stride ? profiles->stride : profiles->dim;
    j.limit = j.o->count && j.o->count < j.models ? j.o->count : j.models;
    j.budget = j.o->budget > 0.0 ? j.o->budget : DBL_MAX;
    locusi_work_begin(&w, run);
    if (!(status = locusi_portfolio_take(&j, &w, err))) status = locusi_portfolio_run(&j, picks, value_of, out, err);
    locusi_work_end(&w);
    return status;
}

// --------------------------------------------------------------------------------------------------------- >>compare

// ---- intervals

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

// Of the normal distribution (df 0) the z with P(|Z| <= z) = level, of Student's the t. Far out, where the sum grows
// long, the expansion in 1 / df around the normal one (26.7.5) is exact to 1e-9.
LOCUSI_FN double locusi_quantile(double level, size_t df)
{
    double low = 0.0, high = df ? 1.5707963267948966 : 40.0, middle;
    int i;
    if (df > 400) {
        const double z = locusi_quantile(level, 0), n = (double)df, z2 = z * z;
        const double a = (z2 + 1.0) / 4.0, b = ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0;
        const double c = (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0;
        const double d = ((((79.0 * z2 + 776.0) * z2 + 1482.0) * z2 - 1920.0) * z2 - 945.0) / 92160.0;
        return z * (1.0 + (a + (b + (c + d / n) / n) / n) / n);
    }
    for (i = 0; i < 80; i++) {
        middle = 0.5 * (low + high);
        if (df ? locusi_student(middle, df) < level : erfc(middle * 0.70710678118654752) > 1.0 - level) low = middle;
        else high = middle;
    }
    middle = 0.5 * (low + high);
    return df ? sqrt((double)df) * tan(middle) : middle;
}

LOCUS_API locus_interval locus_interval_of(double value, const double *resampled, size_t count, double level)
{
    double mean = 0.0, squares = 0.0, half;
    locus_interval out;
    size_t i;
    out.value = value;
    out.low = out.high = (double)locusi_nan();
    if (!resampled || count < 2 || !locusi_within(level, 0.0, 1.0) || level <= 0.0 || level >= 1.0) return out;
    for (i = 0; i < count; i++) mean += resampled[i] / (double)count;
    for (i = 0; i < count; i++) squares += (resampled[i] - mean) * (resampled[i] - mean);
    half = sqrt(squares / (double)(count - 1)) * locusi_quantile(level, count - 1);
    out.low = value - half;
    out.high = value + half;
    return out;
}

// Of a share: right of n (Wilson 1927).
LOCUSI_FN locus_interval locusi_wilson(size_t right, size_t n, double level)
{
    const double z = locusi_quantile(level, 0), z2 = z * z, count = (double)n;
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

LOCUSI_FN locus_status locusi_check_correlation(double correlation, locus_error *err)
{
    if (locusi_within(correlation, -1.0, 1.0)) return LOCUS_OK;
    return locusi_fail(err, LOCUS_ERR_ARGUMENT, "correlation", "-1 to 1", "%f", correlation);
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

// ---- two models

typedef struct locusi_two {   // row 0 is the model, the others are versions of it
    float *chances[2], *z[2]; // [1 + versions, n], [1 + versions, d]
    size_t versions[2], n, d;
    double *values, level; // [versions]
    const locus_compare_opts *o;
} locusi_two;

typedef enum locusi_figure { LOCUSI_OF_A, LOCUSI_OF_B, LOCUSI_OF_BOTH, LOCUSI_AGREEMENT, LOCUSI_APART } locusi_figure;

// Mean of a figure over the queries, of one category (SIZE_MAX: all), for these versions; NaN if there is none
LOCUSI_FN double locusi_figure_of(const locusi_two *t, locusi_figure figure, size_t category, size_t a, size_t b)
{
    const float *p = t->chances[0] + a * t->n, *q = t->chances[1] + b * t->n;
    double sum = 0.0;
    size_t i, count = 0;
    if (figure == LOCUSI_APART) { // cosine distance of the embeddings
        const float *u = t->z[0] + a * t->d, *v = t->z[1] + b * t->d;
        const double lengths = sqrt(locusi_row_sum(u, u, t->d, 0) * locusi_row_sum(v, v, t->d, 0));
        sum = lengths > 0.0 ? 1.0 - locusi_row_sum(u, v, t->d, 0) / lengths : 1.0;
        return sum > 1e-14 ? sum : 0.0;
    }
    for (i = 0; i < t->n; i++) {
        const double x = (double)p[i], y = (double)q[i];
        if (category != SIZE_MAX && (t->o->category[i] < 0 || (size_t)t->o->category[i] != category)) continue;
        sum += figure == LOCUSI_OF_A      ? x
               : figure == LOCUSI_OF_B    ? y
               : figure == LOCUSI_OF_BOTH ? x - y
                                          : 1.0 - locusi_disagreement(x, y, t->o->correlation);
        count++;
    }
    return count ? sum / (double)count : (double)locusi_nan();
}

// Versions of both are taken in pairs; where only one has any, the other itself stands against all of them.
LOCUSI_FN locus_interval locusi_figure_interval(const locusi_two *t, locusi_figure figure, size_t category)
{
    const size_t a = figure == LOCUSI_OF_B ? 0 : t->versions[0], b = figure == LOCUSI_OF_A ? 0 : t->versions[1];
    const size_t count = a > b ? a : b;
    size_t r;
    for (r = 0; r < count; r++) t->values[r] = locusi_figure_of(t, figure, category, a ? r + 1 : 0, b ? r + 1 : 0);
    return locus_interval_of(locusi_figure_of(t, figure, category, 0, 0), t->values, count, t->level);
}

// What the model might be, from its row of scores: how many versions; 0 where that cannot be said.
LOCUSI_FN size_t locusi_version_count(const locus_pool *pool, size_t model, const locus_evals *evals,
                                      const locus_compare_opts *o)
{
    const size_t n = evals->queries.count;
    size_t i, count = 0;
    float y;
    if ((!evals->scores.f32 && !evals->scores.u8) || !pool->net->info.has_encoder) return 0;
    for (i = 0; i < n; i++) count += (size_t)locusi_score(evals, model, i, &y);
    return count < 2 ? 0 : o->resamples ? o->resamples : 32;
}

// The versions' chances and embeddings: rows 1 .. of side i. Their pool is on the heap, for a while.
LOCUSI_FN locus_status locusi_versions(const locusi_two *t, size_t i, const locus_pool *pool, size_t model,
                                       const locus_evals *evals, const locus_run *run, locus_error *err)
{
    const size_t row = locusi_score_row(&evals->scores, t->n, model);
    locus_pool *made = NULL;
    locus_resample_opts opts;
    locus_run heap;
    locus_evals own = *evals;
    locus_status status;
    size_t r;
    own.scores.models = 1;
    if (own.scores.f32) own.scores.f32 += row;
    if (own.scores.u8) own.scores.u8 += row;
    if (own.scores.mask) own.scores.mask += row;
    memset(&opts, 0, sizeof opts);
    opts.count = t->versions[i];
    opts.seed = t->o->seed + 1 + model;
    memset(&heap, 0, sizeof heap);
    if (run) heap = *run;
    heap.memory = NULL;
    if (!(status = locus_pool_resample(&made, pool, &own, &opts, &heap, err)))
        status = locus_profiles(made, &evals->queries, NULL, t->chances[i] + t->n, &heap, err);
    for (r = 1; r <= t->versions[i] && !status; r++)
        memcpy(t->z[i] + r * t->d, locus_pool_embedding(made, r - 1), t->d * sizeof(float));
    locus_pool_destroy(made);
    return status;
}

LOCUSI_FN locus_status locusi_compare(const locus_pool *pool, const size_t model[2], const locus_evals *evals,
                                      const locus_compare_opts *o, locus_comparison *out, locusi_work *w,
                                      const locus_run *run, locus_error *err)
{
    const locus_scores *s = &evals->scores;
    const size_t n = evals->queries.count;
    locusi_profiler own;
    locusi_two t;
    locus_status status;
    size_t i, same = 0;
    float x, y;
    t.o = o;
    t.n = n;
    t.d = pool->net->d;
    t.level = o->level > 0.0 ? o->level : 0.9;
    for (i = 0; i < 2; i++) {
        t.versions[i] = locusi_version_count(pool, model[i], evals, o);
        t.z[i] = locusi_take_floats(w, t.versions[i] + 1, t.d);
        t.chances[i] = locusi_take_floats(w, t.versions[i] + 1, n);
    }
    t.values = (double *)locusi_take(w, t.versions[0] + t.versions[1], sizeof(double));
    locusi_profiler_take(&own, pool, n, run, w);
    if ((status = locusi_work_short(w, err))) return status;
    for (i = 0; i < 2; i++) {
        memcpy(t.z[i], locus_pool_embedding(pool, model[i]), t.d * sizeof(float));
        if ((status = locusi_profiler_run(&own, &evals->queries, model[i], 1, t.chances[i], err)) ||
            (t.versions[i] && (status = locusi_versions(&t, i, pool, model[i], evals, run, err))))
            return status;
    }
    out->distance = locusi_figure_interval(&t, LOCUSI_APART, SIZE_MAX);
    if (out->distance.low < 0.0) out->distance.low = 0.0;
    out->accuracy_a = locusi_figure_interval(&t, LOCUSI_OF_A, SIZE_MAX);
    out->accuracy_b = locusi_figure_interval(&t, LOCUSI_OF_B, SIZE_MAX);
    out->difference = locusi_figure_interval(&t, LOCUSI_OF_BOTH, SIZE_MAX);
    out->agreement = locusi_figure_interval(&t, LOCUSI_AGREEMENT, SIZE_MAX);
    for (i = 0; o->by_category && i < o->categories; i++)
        o->by_category[i] = locusi_figure_interval(&t, LOCUSI_OF_BOTH, i);
    for (i = 0; (s->f32 || s->u8) && i < n; i++) {
        if (!locusi_score(evals, model[0], i, &x) || !locusi_score(evals, model[1], i, &y)) continue;
        out->shared++;
        same += (x > 0.5f) == (y > 0.5f);
    }
    out->observed = locusi_wilson(same, out->shared, t.level);
    return LOCUS_OK;
}

LOCUS_API locus_status locus_compare(const locus_pool *pool, size_t a, size_t b, const locus_evals *evals,
                                     const locus_compare_opts *opts, locus_comparison *out, const locus_run *run,
                                     locus_error *err)
{
    const size_t models[2] = {a, b};
    locus_compare_opts zero;
    locus_evals none;
    const locus_compare_opts *o = opts ? opts : &zero;
    locusi_work w;
    locus_status status;
    memset(&zero, 0, sizeof zero);
    memset(&none, 0, sizeof none);
    if (!pool || !out) return locusi_null(err, pool ? "out" : "pool");
    memset(out, 0, sizeof *out);
    if (a >= pool->count || b >= pool->count)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "below %z, the models", "%z", a < pool->count ? "b" : "a",
                           pool->count, a < pool->count ? b : a);
    if (!evals) evals = &none;
    else if ((status = locusi_check_queries(pool->net, &evals->queries, err))) return status;
    if ((evals->scores.f32 || evals->scores.u8) &&
        (status = locusi_check_scores(&evals->scores, pool->count, evals->queries.count, err)))
        return status;
    if ((status = locusi_check_level(o->level, err)) || (status = locusi_check_correlation(o->correlation, err)))
        return status;
    if (o->by_category && !o->category)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "category", "the queries' categories, for by_category", "NULL");
    locusi_work_begin(&w, run);
    status = locusi_compare(pool, models, evals, o, out, &w, run, err);
    locusi_work_end(&w);
    return status;
}

// ----------------------------------------------------------------------------------------------------- >>uncertainty
//
// What a model might be, given only these evaluations: versions of it from resampled evaluations. The embeddings come
// from one table of tokens, the recall's rows from one factor, so that a version errs in both in the same way, as the
// model itself does.
//
// A bootstrap shows the noise of the evaluations, but not what a prior hides: the recall shrinks a model towards the
// pool, and what few evaluations do not tell is the same in all versions. So the ridge regression of a version has,
// beside the weights c_i of its evaluations, a draw e of the prior's noise,
//
//     (Phi' C W Phi + 1) theta = Phi' C W y + sqrt(own variance) e,    e normal,
//
// which with fixed y would be a draw from the posterior, and its mean likewise starts from a draw of the models' mean.
// It is solved for 16 versions at a time by conjugate gradients from the full solution, with the full factor before
// it. The net's part has no such prior to draw from. Measured on held-out models (bench/experiments/coverage.c), the
// two together keep what they promise as they are: there is no factor to be fitted.

#define LOCUSI_GRADIENT_STEPS 3 // the versions' matrices are near the full one

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

typedef struct locusi_redrawn {
    locusi_job job;
    locusi_own own;           // where the pool has a recall
    size_t n, *row, *ordinal; // evaluations, their rows, and back (SIZE_MAX: a row is none)
    float *z, *rows, *base;   // [count, d], [count, landmarks], [count]
} locusi_redrawn;

LOCUSI_FN void locusi_redrawn_take(locusi_redrawn *v, const locus_pool *pool, const locus_evals *evals, size_t count,
                                   const locus_run *run, locusi_work *w)
{
    const size_t n = evals->queries.count;
    memset(v, 0, sizeof *v);
    locusi_encode_plan(&v->job, pool->net, evals, count, 0, run, w);
    if (pool->memory.landmarks) locusi_own_take(&v->own, &pool->memory, n, w);
    v->row = (size_t *)locusi_take(w, n, sizeof(size_t));
    v->ordinal = (size_t *)locusi_take(w, n, sizeof(size_t));
    v->z = locusi_take_floats(w, count, pool->net->d);
    v->rows = locusi_take_floats(w, count, pool->memory.landmarks);
    v->base = locusi_take_floats(w, count, 1);
}

// What is there, and the table that all versions share.
LOCUSI_FN locus_status locusi_redrawn_prepare(locusi_redrawn *v, locus_error *err)
{
    size_t i;
    float y;
    for (i = 0; i < v->job.n; i++) {
        const int scored = locusi_score(v->job.evals, 0, i, &y);
        v->ordinal[i] = scored ? v->n : SIZE_MAX;
        if (scored) v->row[v->n++] = i;
    }
    return locusi_encode_prepare(&v->job, err);
}

// What resample and explain demand.
LOCUSI_FN locus_status locusi_check_own(const locus_pool *pool, const locus_evals *evals, locus_error *err)
{
    locus_status status;
    if (!pool || !evals) return locusi_null(err, !pool ? "pool" : "evals");
    if ((status = locusi_check_encoder(pool->net, err))) return status;
    if (evals->scores.models != 1)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "evals->models", "1", "%z", evals->scores.models);
    if ((status = locusi_check_evals(pool->net, evals, err))) return status;
    return pool->memory.landmarks ? locusi_check_lengths(&pool->memory, &evals->queries, evals, err) : LOCUS_OK;
}

// ---- draws

typedef enum locusi_draw { LOCUSI_DRAW_EVALUATION = 1, LOCUSI_DRAW_PRIOR = 3, LOCUSI_DRAW_MEAN } locusi_draw;

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

// The evaluations of every version: as many as there are, drawn from these rows.
LOCUSI_FN void locusi_resample_draw(locusi_job *job, const size_t *row, size_t n, size_t versions, uint64_t seed)
{
    size_t r, i;
    for (r = 0; r < versions; r++) {
        for (i = 0; i < n; i++)
            job->draws[r * job->n + i] = (uint32_t)row[locusi_draw_bits(seed, LOCUSI_DRAW_EVALUATION, r, i) % n];
        job->drawn[r] = n;
    }
}

// ---- the recall's rows of versions, a panel of them at once

typedef struct locusi_resample { // all that one call works in
    locusi_redrawn v;
    size_t count, workers;
    uint64_t seed;
    locusi_panel *panel; // [workers]
    int bad;
} locusi_resample;

// mu, sd and the weights of version `r`, which is column v.
LOCUSI_FN void locusi_panel_weights(const locusi_resample *a, locusi_panel *w, size_t r, size_t v, double *mu,
                                    double *sd)
{
    const locusi_own *o = &a->v.own;
    const uint32_t *draw = a->v.job.draws + r * a->v.job.n;
    const size_t drawn = a->v.job.drawn[r];
    double scores = 0.0, difficulties = 0.0, prior;
    size_t i;
    for (i = 0; i < drawn; i++) {
        const size_t at = a->v.ordinal[draw[i]];
        w->weight[at * LOCUSI_PANEL + v] += (float)(o->m.own / o->m.noise);
        scores += o->score[at];
        difficulties += o->t[at];
    }
    prior = o->m.mean +
            o->sd / sqrt(o->m.pull > 1.0 ? o->m.pull : 1.0) * locusi_draw_normal(a->seed, LOCUSI_DRAW_MEAN, r, 0);
    locusi_own_mean(&o->m, locusi_clamp(prior, 0.01, 0.99), (double)drawn, scores, difficulties, mu, sd);
}

LOCUSI_FN void locusi_resample_rows(void *arg, size_t worker, size_t panel)
{
    locusi_resample *a = (locusi_resample *)arg;
    const locusi_own *o = &a->v.own;
    locusi_panel *w = &a->panel[worker];
    const size_t p = o->m.landmarks, n = o->n, first = panel * LOCUSI_PANEL;
    double mu[LOCUSI_PANEL], sd[LOCUSI_PANEL];
    size_t i, c, v;
    memset(w->weight, 0, n * LOCUSI_PANEL * sizeof(float));
    for (v = 0; v < LOCUSI_PANEL; v++) {
        mu[v] = o->mu, sd[v] = o->sd;
        if (first + v < a->count) locusi_panel_weights(a, w, first + v, v, &mu[v], &sd[v]);
    }
    // the residual of the full solution, what its gradient is in this version
    for (i = 0; i < n; i++) {
        const float *phi = o->phi + i * p;
        double fitted = 0.0;
        for (c = 0; c < p; c++) fitted += (double)phi[c] * o->theta[c];
        for (v = 0; v < LOCUSI_PANEL; v++)
            w->u[i * LOCUSI_PANEL + v] =
                w->weight[i * LOCUSI_PANEL + v] * (float)((o->score[i] - mu[v]) / sd[v] - o->t[i] - fitted);
    }
    locusi_panel_right(&o->r, w);
    for (i = 0; i < p * LOCUSI_PANEL; i++) {
        c = i / LOCUSI_PANEL, v = first + i % LOCUSI_PANEL;
        w->x[i] = o->theta[c];
        w->r[i] = (double)w->out[i] - o->theta[c];
        if (v < a->count) w->r[i] += sqrt(o->m.own) * locusi_draw_normal(a->seed, LOCUSI_DRAW_PRIOR, v, c);
    }
    locusi_panel_solve(&o->r, w, LOCUSI_GRADIENT_STEPS);
    for (v = 0; v < LOCUSI_PANEL && first + v < a->count; v++) {
        for (c = 0; c < p; c++) w->z[c] = w->x[c * LOCUSI_PANEL + v];
        locusi_recall_weights(&o->m, w->z, w->a);
        if (locusi_own_row(o, w->a, mu[v], sd[v], a->v.rows + (first + v) * p, &a->v.base[first + v], NULL))
            locusi_set_flag(&a->bad);
    }
}

LOCUSI_FN void locusi_resample_take(locusi_resample *a, const locus_pool *pool, const locus_evals *evals,
                                    const locus_run *run, locusi_work *w)
{
    const size_t n = evals->queries.count, p = pool->memory.landmarks, panels = (a->count - 1) / LOCUSI_PANEL + 1;
    locusi_panel unused;
    size_t i;
    locusi_redrawn_take(&a->v, pool, evals, a->count, run, w);
    if (!p) return;
    a->workers = locusi_min(locusi_run_workers(run), panels);
    a->panel = (locusi_panel *)locusi_take(w, a->workers, sizeof(locusi_panel));
    for (i = 0; i < a->workers; i++) locusi_panel_take(a->panel ? &a->panel[i] : &unused, n, p, w);
}

LOCUS_API locus_status locus_pool_resample(locus_pool **out, const locus_pool *pool, const locus_evals *evals,
                                           const locus_resample_opts *opts, const locus_run *run, locus_error *err)
{
    locusi_resample a;
    locusi_work w;
    locus_run rest;
    locus_pool *made = NULL;
    size_t r;
    locus_status status;
    if (!out) return locusi_null(err, "out");
    *out = NULL;
    if ((status = locusi_check_own(pool, evals, err))) return status;
    memset(&a, 0, sizeof a);
    a.count = opts && opts->count ? opts->count : 32;
    a.seed = opts ? opts->seed : 0;
    if (a.count >= UINT32_MAX)
        return locusi_fail(err, LOCUS_ERR_OVERFLOW, "opts->count", "fewer versions", "%z", a.count);
    locusi_work_begin(&w, run);
    locusi_resample_take(&a, pool, evals, run, &w);
    if (!(status = locusi_work_short(&w, err))) status = locusi_redrawn_prepare(&a.v, err);
    if (!status) {
        locusi_resample_draw(&a.v.job, a.v.row, a.v.n, a.count, a.seed);
        status = locusi_encode_passes(&a.v.job, a.v.z, err);
    }
    if (!status && a.workers && !(status = locusi_own_fit(&a.v.own, pool->net->kernels, evals, err))) {
        locusi_each(run, a.workers, 0, (a.count - 1) / LOCUSI_PANEL + 1, locusi_resample_rows, &a);
        if (a.bad)
            status = locusi_fail(err, LOCUS_ERR_POOL, "recall", "sensible numbers", "others, as a part of them shows");
    }
    rest = locusi_work_rest(&w, NULL);
    if (!status) status = locusi_work_within(&w, locusi_pool_like(&made, pool, a.count, &rest, err), err);
    for (r = 0; r < a.count && !status; r++)
        status = locusi_pool_version(made, r, a.v.n, a.v.z + r * pool->net->d,
                                     a.workers ? a.v.rows + r * pool->memory.landmarks : NULL, a.v.base[r], err);
    locusi_work_end(&w);
    if (status) locus_pool_destroy(made);
    else *out = made;
    return status;
}

// ------------------------------------------------------------------------------------------------------ >>duplicates

// Disagreements of two models are a sum of independent coins with chances d_q of their own, given what each is good at
// and how alike any two models err. Its distribution is built coin by coin, only up to the count observed: nothing is
// lost that could matter, because the final chance is a sum of products of which each factor is at least as large.

// Answers are 0 or 1 where there is one; the chances of such are chances.
LOCUSI_FN locus_status locusi_check_answers(const float *p, size_t n, const locus_scores *scores, size_t model,
                                            locus_error *err)
{
    size_t i;
    float y;
    for (i = 0; i < n; i++) {
        if (!locusi_score_at(scores, model, i, &y)) continue;
        if (!(y <= 0.0f && y >= 0.0f) && !(y <= 1.0f && y >= 1.0f))
            return locusi_fail(err, LOCUS_ERR_SCORE, "scores[%z, %z]", "0, 1, or missing", "%f", model, i, (double)y);
        if (!locusi_within((double)p[i], 0.0, 1.0))
            return locusi_fail(err, LOCUS_ERR_ARGUMENT, "chances of model %z [%z]", "0 to 1", "%f", model, i,
                               (double)p[i]);
    }
    return LOCUS_OK;
}

// 1 and both answers, or 0 where one is missing.
LOCUSI_FN int locusi_both(const locus_scores *s, size_t a, size_t b, size_t column, float *x, float *y)
{
    return locusi_score_at(s, a, column, x) && locusi_score_at(s, b, column, y);
}

LOCUS_API locus_status locus_same_answers(locus_likeness *out, const float *p_a, const float *p_b,
                                          const locus_scores *scores, size_t a, size_t b, double correlation,
                                          const locus_run *run, locus_error *err)
{
    size_t i, j, seen = 0;
    double *chance, sum = 0.0; // chance[j]: of j disagreements so far
    float x, y;
    locusi_work w;
    locus_status status;
    if (!out || !p_a || !p_b || !scores) return locusi_null(err, !scores ? "scores" : "out, p_a or p_b");
    if ((status = locusi_check_table(scores, 0, scores->count, err))) return status;
    if (a >= scores->models || b >= scores->models)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "a, b", "models below %z", "%z and %z", scores->models, a, b);
    if ((status = locusi_check_correlation(correlation, err)) ||
        (status = locusi_check_answers(p_a, scores->count, scores, a, err)) ||
        (status = locusi_check_answers(p_b, scores->count, scores, b, err)))
        return status;
    memset(out, 0, sizeof *out);
    for (i = 0; i < scores->count; i++)
        if (locusi_both(scores, a, b, i, &x, &y)) {
            out->shared++;
            out->disagreements += x > y || x < y;
        }
    locusi_work_begin(&w, run);
    chance = (double *)locusi_take_zero(&w, out->disagreements + 1, sizeof(double));
    if (!(status = locusi_work_short(&w, err))) {
        chance[0] = 1.0;
        for (i = 0; i < scores->count; i++) {
            double d;
            if (!locusi_both(scores, a, b, i, &x, &y)) continue;
            d = locusi_disagreement((double)p_a[i], (double)p_b[i], correlation);
            seen++;
            for (j = seen < out->disagreements ? seen : out->disagreements; j > 0; j--)
                chance[j] += d * (chance[j - 1] - chance[j]);
            chance[0] -= d * chance[0];
        }
        for (j = 0; j <= out->disagreements; j++) sum += chance[j];
        out->p = sum < 1.0 && out->disagreements < out->shared ? sum : 1.0; // nothing shared: no evidence
    }
    locusi_work_end(&w);
    return status;
}

// Of the answers of two models given their chances; NaN where they have nothing in common, or all is certain.
LOCUSI_FN double locusi_pair_correlation(const float *p, const float *q, const locus_scores *s, size_t a, size_t b)
{
    double together = 0.0, scale = 0.0;
    float x, y;
    size_t i;
    for (i = 0; i < s->count; i++) {
        const double u = (double)p[i], v = (double)q[i];
        if (!locusi_both(s, a, b, i, &x, &y)) continue;
        together += ((double)x - u) * ((double)y - v);
        scale += sqrt(u * (1.0 - u) * v * (1.0 - v));
    }
    return scale > 0.0 ? locusi_clamp(together / scale, -1.0, 1.0) : (double)locusi_nan();
}

LOCUS_API locus_status locus_answer_correlation(const locus_points *profiles, const locus_scores *scores,
                                                double quantile, double *mean, double *correlation,
                                                const locus_run *run, locus_error *err)
{
    size_t a, b, m, n, stride, pairs = 0;
    double *list, sum = 0.0;
    locusi_work w;
    locus_status status;
    if (!profiles || !profiles->rows) return locusi_null(err, "profiles");
    if (!scores || !correlation) return locusi_null(err, !scores ? "scores" : "correlation");
    m = profiles->count;
    n = profiles->dim;
    stride = profiles->stride ? profiles->stride : n;
    if (stride < n)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "profiles->stride", "0 or at least %z", "%z", n, stride);
    if (scores->count != n)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "scores->count", "%z, as profiles have", "%z", n, scores->count);
    if (!locusi_within(quantile, 0.0, 1.0))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "quantile", "0 to 1", "%f", quantile);
    if ((status = locusi_check_table(scores, m, n, err))) return status;
    for (a = 0; a < m; a++)
        if ((status = locusi_check_answers(profiles->rows + a * stride, n, scores, a, err))) return status;
    locusi_work_begin(&w, run);
    list = (double *)locusi_take_cells(&w, m, m / 2 + 1, sizeof(double));
    if (!(status = locusi_work_short(&w, err))) {
        for (a = 0; a < m; a++)
            for (b = a + 1; b < m; b++) {
                list[pairs] =
                    locusi_pair_correlation(profiles->rows + a * stride, profiles->rows + b * stride, scores, a, b);
                if (locusi_unknown(list[pairs])) continue;
                sum += list[pairs++];
            }
        if (mean) *mean = pairs ? sum / (double)pairs : 0.0;
        *correlation = 0.0;
        locusi_sort(list, pairs, sizeof *list, locusi_rising);
        if (pairs) {
            const double at = quantile * (double)(pairs - 1);
            const size_t low = (size_t)at, high = low + 1 < pairs ? low + 1 : low;
            *correlation = list[low] + (at - (double)low) * (list[high] - list[low]);
        }
    }
    locusi_work_end(&w);
    return status;
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
        tolerance = watch->tolerance > 0.0 && watch->tolerance < 1.0 ? watch->tolerance : 0.02;
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
// x_i holds the landmarks' similarities as features whose prior is the identity, times their deviation among models
// (see >>recall), and in one more column slope_i times the deviation of the models' abilities, so that one entry of
// `own` is the ability. The posterior is taken as normal about its mode. The next query is the one whose answer is
// expected to take most off the mean squared error of the chances on all queries given (experimental design's I- or
// V-optimality; in item response theory, computerised adaptive testing): close to queries that are many, not yet known,
// and neither hopeless nor trivial for this model. A batch is chosen one by one, each as if those before had been
// answered: that is its diversity.

typedef struct locusi_study {
    locusi_recall m;                   // with what learning needs of its own
    locusi_ridge r;                    // on x: its factor is of the posterior's precision
    size_t n, p;                       // rows of the evaluations; columns: landmarks, the ability, pads of 0
    float *coordinates, *similarities; // [n, rank], [n, landmarks]
    float *x;                          // [n, p]
    double *offset;                    // [n]
    double *score;                     // [n] negative: not asked
    double *own, *step, *u;            // [p]; scratch
    double *chance;                    // [n]
    float *w;                          // [n] weights of rows
    // what the next answer may teach
    size_t taken;                            // picks so far, each as if it were answered
    float *inverse;                          // [p, p] of the precision before them
    double *v, *rate;                        // [batch, p], [batch] and now: inverse - sum rate v v'
    float *taught;                           // [p, p] x' diag(importance of an error) x
    float *product;                          // [n or p, p] scratch
    double *importance, *variance, *removed; // [n] of an error; of the logits; what knowing the logit exactly would
                                             // take off the weighted squared error
    unsigned char *may;                      // [n] may be asked
} locusi_study;

#define LOCUSI_ENOUGH 0.01 // of what evaluations could still take off the squared error: less does not pay

// batch 0: nothing will be picked.
LOCUSI_FN void locusi_study_take(locusi_study *s, const locus_pool *pool, size_t n, size_t batch, locusi_work *w)
{
    const size_t landmarks = pool->memory.landmarks, p = landmarks + 16;
    s->m = pool->memory;
    s->r.k = pool->net->kernels;
    s->n = n;
    s->p = p;
    locusi_recall_take_learning(&s->m, w);
    s->coordinates = locusi_take_floats(w, n, s->m.rank);
    s->similarities = locusi_take_floats(w, n, landmarks);
    s->r.phi = s->x = locusi_take_floats(w, n, p);
    s->w = locusi_take_floats(w, n, 1);
    locusi_ridge_take(&s->r, n, p, w);
    locusi_take_doubles(w, 3, n, 1, &s->offset, &s->score, &s->chance);
    locusi_take_doubles(w, 2, p, 1, &s->step, &s->u);
    s->own = (double *)locusi_take_zero(w, p, sizeof(double));
    if (!batch) return;
    locusi_take_arrays(w, 2, p, p, &s->inverse, &s->taught);
    s->product = locusi_take_floats(w, locusi_max(n, p), p);
    locusi_take_doubles(w, 1, batch, p, &s->v);
    locusi_take_doubles(w, 1, batch, 1, &s->rate);
    locusi_take_doubles(w, 1, n, 1, &s->importance);
    s->variance = (double *)locusi_take_zero(w, n, sizeof(double));
    s->removed = (double *)locusi_take_zero(w, n, sizeof(double));
    s->may = (unsigned char *)locusi_take(w, n, 1);
}

// What the prior says of the queries.
LOCUSI_FN locus_status locusi_study_open(locusi_study *s, const locus_evals *e, locus_error *err)
{
    const size_t landmarks = s->m.landmarks, p = s->p, stride = e->queries.stride ? e->queries.stride : e->queries.dim;
    const double deviation = locusi_deviation(s->m.mean), scale = sqrt(s->m.own) / deviation;
    const int items = s->m.spread > 0.0;
    const double centre = items ? s->m.ability : log(s->m.mean / (1.0 - s->m.mean)), spread = items ? s->m.spread : 0.6;
    size_t i, c;
    float y = 0.0f;
    if (!locusi_recall_prepare(&s->m, s->r.k) || !locusi_recall_specialise(&s->m)) // a file may hold anything
        return locusi_fail(err, LOCUS_ERR_POOL, "memory.landmarks", "sensible numbers", "others");
    locusi_recall_kernels(&s->m, s->r.k, e->queries.encodings, stride, s->n, s->coordinates, s->similarities);
    memset(s->x, 0, s->n * p * sizeof(float));
    locusi_matmul_run(s->r.k, s->similarities, landmarks, s->n, landmarks, s->m.features, landmarks, s->x, p, NULL,
                      NULL, 0, 0);
    for (i = 0; i < s->n; i++) {
        const size_t place = locusi_recall_place(&s->m, e->queries.encodings + i * stride);
        double slope = 1.0, intercept = 0.0;
        if (place != SIZE_MAX && items) {
            slope = locusi_clamp((double)s->m.items[2 * place], 0.05, 20.0); // a file may say anything
            intercept = (double)s->m.items[2 * place + 1];
        } else if (place != SIZE_MAX) {
            intercept = (double)s->m.difficulty[place] / deviation;
        } else {
            for (c = 0; c < landmarks; c++)
                intercept += (double)s->m.shared[c] * (double)s->similarities[i * landmarks + c] / deviation;
        }
        s->score[i] = locusi_score(e, 0, i, &y) ? (double)y : -1.0;
        s->offset[i] = locusi_clamp(intercept, -30.0, 30.0) + slope * centre;
        for (c = 0; c < landmarks; c++) s->x[i * p + c] *= (float)scale;
        s->x[i * p + landmarks] = (float)(slope * spread);
    }
    return LOCUS_OK;
}

LOCUSI_FN double locusi_study_curve(const locusi_study *s, size_t i) { return s->chance[i] * (1.0 - s->chance[i]); }

// factor <- of the precision where rows that were asked curve by a + b chance (1 - chance)
LOCUSI_FN void locusi_study_factor(locusi_study *s, double a, double b)
{
    size_t i;
    for (i = 0; i < s->n; i++) s->w[i] = s->score[i] < 0.0 ? 0.0f : (float)(a + b * locusi_study_curve(s, i));
    locusi_ridge_factor(&s->r, s->w);
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
    double posterior = locusi_study_chances(s), moved = 1.0, size = 1.0, before;
    size_t i, c, round, halved;
    for (round = 0; round < 60 && moved > 1e-10 * size; round++) {
        // One factor serves the first 20 steps: its curvature lies between the one at the start and the bound 1/4, so
        // none goes too far. Where that is slow, as for a model that is right nearly always, Newton's own comes next.
        if (round == 0) locusi_study_factor(s, 0.125, 0.5);
        else if (round >= 20 && round % 5 == 0) locusi_study_factor(s, 0.0, 1.0);
        for (c = 0; c < s->p; c++) s->step[c] = -s->own[c];
        for (i = 0; i < s->n; i++) {
            const double rest = s->score[i] - s->chance[i];
            if (s->score[i] < 0.0) continue;
            for (c = 0; c < s->p; c++) s->step[c] += rest * (double)s->x[i * s->p + c];
        }
        locusi_ridge_solve(&s->r, s->step);
        for (c = 0; c < s->p; c++) s->own[c] += s->step[c];
        before = posterior;
        posterior = locusi_study_chances(s);
        for (halved = 0; halved < 30 && posterior < before - 1e-9 * (1.0 + fabs(before)); halved++) {
            for (c = 0; c < s->p; c++) s->own[c] -= s->step[c] *= 0.5;
            posterior = locusi_study_chances(s);
        }
        for (moved = 0.0, size = 1e-12, c = 0; c < s->p; c++) {
            moved += s->step[c] * s->step[c];
            size += s->own[c] * s->own[c];
        }
    }
    locusi_study_factor(s, 0.0, 1.0);
}

// The evaluations completed: chances, and answers that add up to them. What rounding leaves is carried to the next row,
// in an order that follows no order of the table: the golden section's steps, or the next odd number without a common
// factor.
LOCUSI_FN locus_status locusi_study_complete(const locusi_study *s, float *chances, unsigned char *answers,
                                             locus_error *err)
{
    size_t i, at = 0, step = (size_t)((double)s->n * 0.6180339887498949) | 1, a, b;
    double carry = 0.0;
    for (i = 0; i < s->n; i++) {
        chances[i] = (float)(s->score[i] < 0.0 ? s->chance[i] : s->score[i]);
        if (!locusi_finite(chances[i]))
            return locusi_fail(err, LOCUS_ERR_POOL, "recall", "sensible numbers", "others, as a chance shows");
    }
    for (;; step += 2) {
        for (a = step, b = s->n; b;) { // Euclid's
            const size_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1) break;
    }
    for (i = 0; answers && i < s->n; i++, at = (at + step) % s->n) {
        carry += (double)chances[at];
        answers[at] = carry >= 0.5;
        carry -= (double)answers[at];
    }
    return LOCUS_OK;
}

// y <- the inverse now, times x
LOCUSI_FN void locusi_study_apply(const locusi_study *s, const double *x, double *y)
{
    const size_t p = s->p;
    size_t i, c;
    for (i = 0; i < p; i++) {
        y[i] = 0.0;
        for (c = 0; c < p; c++) y[i] += (double)s->inverse[i * p + c] * x[c];
    }
    for (i = 0; i < s->taken; i++) {
        const double *v = s->v + i * p;
        double dot = 0.0;
        for (c = 0; c < p; c++) dot += v[c] * x[c];
        for (c = 0; c < p; c++) y[c] -= s->rate[i] * dot * v[c];
    }
}

// Row `at` counts as answered from here on.
LOCUSI_FN void locusi_study_pick(locusi_study *s, size_t at)
{
    const double rate = 1.0 / (1.0 / locusi_study_curve(s, at) + s->variance[at]);
    const size_t p = s->p;
    double *v = s->v + s->taken * p, size = 0.0;
    size_t i, c;
    for (c = 0; c < p; c++) s->step[c] = (double)s->x[at * p + c];
    locusi_study_apply(s, s->step, v);
    for (i = 0; i < p; i++) {
        s->step[i] = 0.0;
        for (c = 0; c < p; c++) s->step[i] += (double)s->taught[i * p + c] * v[c];
        size += s->step[i] * v[i];
    }
    locusi_study_apply(s, s->step, s->u);
    for (i = 0; i < s->n; i++) {
        const float *x = s->x + i * p;
        double xv = 0.0, xu = 0.0;
        for (c = 0; c < p; c++) xv += (double)x[c] * v[c], xu += (double)x[c] * s->u[c];
        s->removed[i] -= 2.0 * rate * xv * xu - rate * rate * size * xv * xv;
        s->variance[i] -= rate * xv * xv;
    }
    s->rate[s->taken++] = rate;
    s->may[at] = 0;
}

// What an answer to row i is expected to take off the weighted squared error.
LOCUSI_FN double locusi_study_gain(const locusi_study *s, size_t i)
{
    const double b = locusi_study_curve(s, i);
    return s->removed[i] / (1.0 / (b > 1e-9 ? b : 1e-9) + s->variance[i]);
}

// out [n] += x' matrix x of every row
LOCUSI_FN void locusi_study_forms(locusi_study *s, const float *matrix, double *out)
{
    size_t i, c;
    locusi_product(s->r.k, s->x, s->p, 1, s->n, s->p, matrix, s->p, 16, s->p, s->product, s->p, 0);
    for (i = 0; i < s->n; i++)
        for (c = 0; c < s->p; c++) out[i] += (double)s->product[i * s->p + c] * (double)s->x[i * s->p + c];
}

LOCUSI_FN void locusi_study_invert(locusi_study *s)
{
    size_t i, c;
    for (i = 0; i < s->p; i++) { // row by row
        memset(s->u, 0, s->p * sizeof(double));
        s->u[i] = 1.0;
        locusi_ridge_solve(&s->r, s->u);
        for (c = 0; c < s->p; c++) s->inverse[i * s->p + c] = (float)s->u[c];
    }
    locusi_study_forms(s, s->inverse, s->variance);
    for (i = 0; i < s->n; i++) s->importance[i] = 1.0;
}

// importance <- the chance that the new model would be the pool's best on each query.
LOCUSI_FN locus_status locusi_study_rivals(locusi_study *s, const locus_pool *pool, const locus_queries *queries,
                                           locusi_work *w, locus_error *err)
{
    const size_t tile = s->n < LOCUSI_QUERY_TILE ? s->n : LOCUSI_QUERY_TILE;
    float *logits = locusi_take_floats(w, tile, pool->count);
    locusi_predict_job job;
    locus_queries part;
    size_t i, j, m;
    locus_status status;
    locusi_predict_begin(&job, pool, tile, NULL, w);
    status = locusi_work_short(w, err);
    for (i = 0; i < s->n && !status; i += part.count) {
        part = locusi_queries_from(queries, i, tile);
        status = locusi_predict(&job, &part, i, logits, err);
        for (j = 0; j < part.count && !status; j++) {
            const double b = locusi_study_curve(s, i + j);
            double best = 0.0, z;
            for (m = 0; m < pool->count; m++) {
                const double other = locus_probability((double)logits[j * pool->count + m]);
                if (pool->models[m].available && other > best) best = other;
            }
            // predictions of the others are no truth either
            z = (s->chance[i + j] - best) / sqrt(b * b * s->variance[i + j] + 0.01);
            s->importance[i + j] = 0.5 * erfc(-z / sqrt(2.0));
        }
    }
    return status;
}

// taught, removed <- of the importance; returns the weighted squared error that answers could still remove.
LOCUSI_FN double locusi_study_teach(locusi_study *s, double *weights)
{
    const size_t p = s->p;
    double open = 0.0;
    size_t i;
    for (*weights = 0.0, i = 0; i < s->n; i++) {
        const double b = locusi_study_curve(s, i);
        s->w[i] = (float)(s->importance[i] * b * b);
        *weights += s->importance[i];
        open += s->importance[i] * b * b * s->variance[i];
    }
    locusi_ridge_normal(&s->r, s->w);
    memcpy(s->taught, s->r.normal, p * p * sizeof(float));
    // removed <- x' inverse taught inverse x; normal is in between
    locusi_product(s->r.k, s->inverse, p, 1, p, p, s->taught, p, 16, p, s->product, p, 0);
    locusi_product(s->r.k, s->product, p, 1, p, p, s->inverse, p, 16, p, s->r.normal, p, 0);
    locusi_study_forms(s, s->r.normal, s->removed);
    return open;
}

// The accuracy over the queries: what was asked is known.
LOCUSI_FN locus_status locusi_study_accuracy(locusi_study *s, locus_next *out, locus_error *err)
{
    const double n = (double)s->n;
    double mean = 0.0, variance = 0.0, squares = 0.0;
    size_t i, c;
    memset(s->u, 0, s->p * sizeof(double));
    for (i = 0; i < s->n; i++) {
        const double b = locusi_study_curve(s, i);
        squares += b * b * s->variance[i] / n;
        mean += (s->score[i] < 0.0 ? s->chance[i] : s->score[i]) / n;
        if (s->score[i] >= 0.0) continue;
        variance += b / (n * n);
        for (c = 0; c < s->p; c++) s->u[c] += b * (double)s->x[i * s->p + c] / n;
    }
    locusi_study_apply(s, s->u, s->step);
    for (c = 0; c < s->p; c++) variance += s->u[c] * s->step[c];
    out->accuracy.value = mean;
    out->accuracy.low = locusi_clamp(mean - 1.6449 * sqrt(variance), 0.0, 1.0);
    out->accuracy.high = locusi_clamp(mean + 1.6449 * sqrt(variance), 0.0, 1.0);
    out->error = sqrt(squares);
    if (locusi_within(mean, 0.0, 1.0) && locusi_within(variance, 0.0, DBL_MAX)) return LOCUS_OK;
    return locusi_fail(err, LOCUS_ERR_POOL, "recall", "sensible numbers", "others, as a score shows");
}

LOCUSI_FN locus_status locusi_check_study(const locus_pool *pool, const locus_evals *e, locus_error *err)
{
    locus_status status = locusi_check_queries(pool->net, &e->queries, err);
    if (status) return status;
    if (!pool->memory.landmarks)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "pool", "a pool with a recall (locus_pool_learn)", "one without");
    if ((status = locusi_check_scores(&e->scores, 1, e->queries.count, err))) return status;
    if (e->queries.count == 0) return locusi_fail(err, LOCUS_ERR_NO_CANDIDATE, "evals", "at least one query", "none");
    return locusi_check_lengths(&pool->memory, &e->queries, NULL, err);
}

LOCUS_API locus_status locus_next_evaluations(const locus_pool *pool, const locus_evals *evals,
                                              const locus_next_opts *opts, size_t *picks, locus_next *out,
                                              const locus_run *run, locus_error *err)
{
    locus_next_opts o;
    locusi_study s;
    locusi_work w;
    size_t batch, i, n, left = 0;
    locus_status status;
    memset(&o, 0, sizeof o);
    memset(&s, 0, sizeof s);
    if (opts) o = *opts;
    if (!pool || !evals) return locusi_null(err, !pool ? "pool" : "evals");
    if (picks ? !out : !o.chances) return locusi_null(err, picks ? "out" : "picks");
    if (out) memset(out, 0, sizeof *out);
    if ((status = locusi_check_study(pool, evals, err))) return status;
    n = evals->queries.count;
    batch = !o.batch ? 1 : o.batch < n ? o.batch : n;
    locusi_work_begin(&w, run);
    locusi_study_take(&s, pool, n, picks ? batch : 0, &w);
    if (!(status = locusi_work_short(&w, err)) && !(status = locusi_study_open(&s, evals, err))) locusi_study_fit(&s);
    if (!status && o.chances) status = locusi_study_complete(&s, o.chances, o.answers, err);
    if (!status && picks) {
        double weights = 0.0, open = 0.0;
        locusi_study_invert(&s);
        if (o.for_routing && pool->count) status = locusi_study_rivals(&s, pool, &evals->queries, &w, err);
        if (!status) status = locusi_study_accuracy(&s, out, err);
        for (i = 0; i < n; i++) {
            s.may[i] = s.score[i] < 0.0 && (!o.available || o.available[i]);
            left += s.may[i];
        }
        if (!status && !left)
            status = locusi_fail(err, LOCUS_ERR_NO_CANDIDATE, "evals", "a query that may be asked", "none of %z", n);
        if (!status) open = locusi_study_teach(&s, &weights);
        while (!status && out->count < batch && out->count < left) {
            size_t best = SIZE_MAX;
            double most = -DBL_MAX;
            for (i = 0; i < n; i++) {
                const double gain = s.may[i] ? locusi_study_gain(&s, i) : -DBL_MAX;
                if (s.may[i] && (gain > most || best == SIZE_MAX)) most = gain, best = i;
            }
            out->gain += most / (weights > 0.0 ? weights : 1.0);
            if (out->count == 0) out->enough = most < LOCUSI_ENOUGH * open;
            locusi_study_pick(&s, best);
            picks[out->count++] = best;
        }
    }
    locusi_work_end(&w);
    return status;
}

// --------------------------------------------------------------------------------------------------------- >>explain
//
// Leave-one-out: every candidate is taken out by itself, the model embedded anew from the others, over the one table of
// all; the recall's part follows from the one factor by the rank-one update of Sherman and Morrison (1950).

#define LOCUSI_LEFT_OUT ((size_t)32) // versions at a time

LOCUSI_FN int locusi_reason_order(const void *a, const void *b)
{
    const locus_reason *x = (const locus_reason *)a, *y = (const locus_reason *)b;
    const double p = fabs(x->influence), q = fabs(y->influence);
    if (p > q || p < q) return p < q ? 1 : -1;
    return x->evaluation < y->evaluation ? -1 : x->evaluation > y->evaluation;
}

typedef struct locusi_explainer {
    locusi_redrawn v;
    size_t candidates;
    int recalled;                     // 1: the model has a part in the recall
    double *of_score, *of_one, *of_t; // [landmarks] the full factor's solutions for score, 1 and t
    double *solution, *u, *ones;      // [landmarks], [landmarks], [n]
    double *chance;                   // [1 + candidates] with all evaluations, then without each candidate
    locusi_keyed *nearest;            // [n] evaluations by falling similarity
    locus_reason *reason;             // [candidates]
    float *logits;
    locusi_predict_job predict; // by the versions
} locusi_explainer;

// The recall's row and base without evaluation `at`.
LOCUSI_FN locus_status locusi_explain_without(const locusi_explainer *a, size_t at, float *row, float *base,
                                              locus_error *err)
{
    const locusi_own *o = &a->v.own;
    const size_t p = o->m.landmarks;
    const float *phi = o->phi + at * p;
    const double w = (double)o->w[at];
    double mu, sd, difference, along = 0.0, length = 0.0;
    size_t c;
    locusi_own_mean(&o->m, o->m.mean, (double)(o->n - 1), o->scores - o->score[at], o->difficulties - o->t[at], &mu,
                    &sd);
    difference = (o->score[at] - mu) / sd - o->t[at];
    for (c = 0; c < p; c++) a->u[c] = (double)phi[c];
    locusi_ridge_solve(&o->r, a->u);
    for (c = 0; c < p; c++) {
        a->solution[c] = (a->of_score[c] - mu * a->of_one[c]) / sd - a->of_t[c] - w * difference * a->u[c];
        along += (double)phi[c] * a->solution[c];
        length += (double)phi[c] * a->u[c];
    }
    for (c = 0; c < p; c++) a->solution[c] += w * along / (1.0 - w * length) * a->u[c];
    locusi_recall_weights(&o->m, a->solution, a->u);
    return locusi_own_row(o, a->u, mu, sd, row, base, err);
}

// `count` of the chances from the `first` on.
LOCUSI_FN locus_status locusi_explain_batch(locusi_explainer *a, locus_pool *made, const locus_queries *query,
                                            size_t first, size_t count, locus_error *err)
{
    locusi_job *job = &a->v.job;
    const size_t p = made->memory.landmarks;
    locus_status status;
    size_t v, i;
    job->models = count;
    for (v = 0; v < count; v++)
        for (job->drawn[v] = i = 0; i < a->v.n; i++)
            if (first + v == 0 || a->v.row[i] != a->nearest[first + v - 1].index)
                job->draws[v * job->n + job->drawn[v]++] = (uint32_t)a->v.row[i];
    status = locusi_encode_passes(job, a->v.z, err);
    for (v = 0; v < count && !status; v++) {
        float *row = a->recalled ? a->v.rows + v * p : NULL, *base = &a->v.base[v];
        const locusi_own *o = &a->v.own;
        if (row && first + v == 0) status = locusi_own_row(o, o->coefficient, o->mu, o->sd, row, base, err);
        else if (row) status = locusi_explain_without(a, a->v.ordinal[a->nearest[first + v - 1].index], row, base, err);
        if (!status) status = locusi_pool_version(made, v, a->v.n, a->v.z + v * made->net->d, row, *base, err);
    }
    if (!status) status = locusi_predict(&a->predict, query, 0, a->logits, err);
    for (v = 0; v < count && !status; v++) a->chance[first + v] = locus_probability((double)a->logits[v]);
    return status;
}

LOCUSI_FN void locusi_explain_nearest(locusi_explainer *a, const locus_net *net, const float *q)
{
    const double norm = locusi_encoding_norm(net, q);
    size_t i, c;
    for (i = 0; i < a->v.n; i++) {
        const float *e = locusi_encoding(&a->v.job, a->v.row[i]);
        const double length = norm * locusi_encoding_norm(net, e);
        double dot = 0.0;
        for (c = 0; c < net->q; c++) dot += (double)q[c] * (double)e[c];
        a->nearest[i].key = length > 0.0 ? (double)(float)locusi_clamp(dot / length, -1.0, 1.0) : 0.0;
        a->nearest[i].index = a->v.row[i];
    }
    locusi_sort(a->nearest, a->v.n, sizeof *a->nearest, locusi_falling);
}

LOCUSI_FN locus_status locusi_explain_all(locusi_explainer *a, const locus_pool *pool, locus_pool *made,
                                          const locus_queries *query, locus_error *err)
{
    locusi_job *job = &a->v.job;
    const locusi_own *o = &a->v.own;
    size_t i, count, versions;
    locus_status status;
    if ((status = locusi_redrawn_prepare(&a->v, err))) return status;
    locusi_explain_nearest(a, pool->net, query->encodings);
    if (a->recalled) {
        if ((status = locusi_own_fit(&a->v.own, pool->net->kernels, job->evals, err))) return status;
        for (i = 0; i < o->n; i++) a->ones[i] = 1.0;
        locusi_ridge_features(&a->v.own.r, o->w, o->score, a->of_score);
        locusi_ridge_features(&a->v.own.r, o->w, a->ones, a->of_one);
        locusi_ridge_features(&a->v.own.r, o->w, o->t, a->of_t);
    }
    if (a->candidates > a->v.n) a->candidates = a->v.n;
    versions = a->v.n > 1 ? a->candidates + 1 : 0; // without a single evaluation there is no model
    job->total = versions * job->n * (pool->net->layers + 1);
    for (i = 0; i < versions && !status; i += count) {
        count = versions - i < LOCUSI_LEFT_OUT ? versions - i : LOCUSI_LEFT_OUT;
        status = locusi_explain_batch(a, made, query, i, count, err);
    }
    for (i = 0; i < a->candidates && !status; i++) {
        locus_reason *reason = &a->reason[i];
        reason->evaluation = a->nearest[i].index;
        reason->similarity = (float)a->nearest[i].key;
        locusi_score(job->evals, 0, reason->evaluation, &reason->score);
        reason->influence = versions ? a->chance[0] - a->chance[i + 1] : (double)locusi_nan();
    }
    return status;
}

LOCUS_API locus_status locus_explain(const locus_pool *pool, size_t model, const locus_evals *evals,
                                     const locus_queries *query, const locus_explain_opts *opts, locus_explanation *out,
                                     locus_reason *influences, locus_reason *nearest, const locus_run *run,
                                     locus_error *err)
{
    const size_t wanted = opts && opts->count ? opts->count : 8;
    locusi_explainer a;
    locusi_work w;
    locus_run rest;
    locus_pool *made = NULL;
    size_t n, p;
    locus_status status;
    if (!query || !out) return locusi_null(err, !query ? "query" : "out");
    if (!influences || !nearest) return locusi_null(err, !influences ? "influences" : "nearest");
    if ((status = locusi_check_own(pool, evals, err))) return status;
    if (model >= pool->count)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "model", "below %z", "%z", pool->count, model);
    if (query->count != 1) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "query->count", "1", "%z", query->count);
    if ((status = locusi_check_queries(pool->net, query, err))) return status;
    memset(out, 0, sizeof *out);
    memset(&a, 0, sizeof a);
    n = evals->queries.count;
    p = pool->memory.landmarks;
    a.candidates = locusi_max(wanted, opts && opts->candidates ? opts->candidates : 256);
    if (a.candidates > n) a.candidates = n;
    a.recalled = p && pool->recalled[model];
    locusi_work_begin(&w, run);
    locusi_redrawn_take(&a.v, pool, evals, LOCUSI_LEFT_OUT, run, &w);
    a.chance = (double *)locusi_take(&w, a.candidates + 1, sizeof(double));
    a.nearest = (locusi_keyed *)locusi_take(&w, n, sizeof(locusi_keyed));
    a.reason = (locus_reason *)locusi_take(&w, a.candidates, sizeof(locus_reason));
    a.logits = (float *)locusi_take(&w, locusi_max(LOCUSI_LEFT_OUT, pool->count), sizeof(float));
    locusi_predict_begin(&a.predict, pool, 1, NULL, &w);
    locusi_take_doubles(&w, 5, p, 1, &a.of_score, &a.of_one, &a.of_t, &a.solution, &a.u);
    locusi_take_doubles(&w, 1, n, 1, &a.ones);
    if (!(status = locusi_work_short(&w, err))) {
        rest = locusi_work_rest(&w, NULL);
        status = locusi_work_within(&w, locusi_pool_like(&made, pool, LOCUSI_LEFT_OUT, &rest, err), err);
    }
    if (!status) {
        made->calibration_shared = pool->calibration[model];
        status = locusi_predict(&a.predict, query, 0, a.logits, err);
    }
    if (!status) {
        out->probability = locus_probability((double)a.logits[model]);
        a.predict.pool = made; // its predictions take the same room
        status = locusi_explain_all(&a, pool, made, query, err);
    }
    if (!status) {
        out->nearest = wanted < a.candidates ? wanted : a.candidates;
        out->influences = a.v.n > 1 ? out->nearest : 0;
        memcpy(nearest, a.reason, out->nearest * sizeof *nearest);
        locusi_sort(a.reason, a.candidates, sizeof *a.reason, locusi_reason_order);
        memcpy(influences, a.reason, out->influences * sizeof *influences);
    }
    locus_pool_destroy(made);
    locusi_work_end(&w);
    return status;
}

// ------------------------------------------------------------------------------------------------------------- >>log
//
// A table of encodings, found by their hashes, and of scores. A score has a stamp, how many came before it, so that a
// window knows the latest.

struct locus_log {
    const locus_net *net;
    locusi_work work; // what all of this stands in
    size_t capacity, rows, models, buckets, hand;
    uint64_t clock;
    float *encodings; // [capacity, q]
    uint64_t *hash;   // [capacity] of them
    uint32_t *bucket; // [buckets] 1 + the first row with such a hash, 0: none
    uint32_t *next;   // [capacity] likewise: the row behind it
    uint32_t *users;  // [capacity] models that have a score in this row
    float *scores;    // [models, capacity] NaN: none
    uint64_t *stamp;  // [models, capacity] 0: no score
};

LOCUS_API locus_status locus_log_create(locus_log **out, const locus_net *net, size_t queries, size_t models,
                                        const locus_run *run, locus_error *err)
{
    locus_log *log, plan;
    locusi_work *w = &plan.work;
    size_t i;
    locus_status status;
    if (!out) return locusi_null(err, "out");
    *out = NULL;
    if (!net) return locusi_null(err, "net");
    if (!queries || !models)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "at least 1", "0", queries ? "models" : "queries");
    if (queries > UINT32_MAX / 4)
        return locusi_fail(err, LOCUS_ERR_OVERFLOW, "queries", "at most %z", "%z", (size_t)(UINT32_MAX / 4), queries);
    memset(&plan, 0, sizeof plan);
    plan.net = net;
    plan.capacity = queries;
    plan.models = models;
    for (plan.buckets = 1; plan.buckets < queries;) plan.buckets *= 2;
    locusi_work_begin(w, run);
    log = (locus_log *)locusi_take(w, 1, sizeof(locus_log));
    plan.encodings = locusi_take_floats(w, queries, net->q);
    plan.hash = (uint64_t *)locusi_take(w, queries, sizeof(uint64_t));
    plan.bucket = (uint32_t *)locusi_take_zero(w, plan.buckets, sizeof(uint32_t));
    plan.next = (uint32_t *)locusi_take(w, queries, sizeof(uint32_t));
    plan.users = (uint32_t *)locusi_take_zero(w, queries, sizeof(uint32_t));
    plan.scores = locusi_take_floats(w, models, queries);
    plan.stamp = (uint64_t *)locusi_take_cells(w, models, queries, sizeof(uint64_t));
    if ((status = locusi_work_short(w, err))) {
        locusi_work_end(w);
        return status;
    }
    for (i = 0; i < models * queries; i++) {
        plan.scores[i] = locusi_nan();
        plan.stamp[i] = 0;
    }
    *log = plan;
    *out = log;
    return LOCUS_OK;
}

LOCUS_API void locus_log_destroy(locus_log *log)
{
    locusi_work work;
    if (!log) return;
    work = log->work; // the log stands in it
    locusi_work_end(&work);
}

// Where in its chain this encoding is found, or where it ends.
LOCUSI_FN uint32_t *locusi_log_find(locus_log *log, const float *encoding, uint64_t hash)
{
    const size_t q = log->net->q;
    uint32_t *at = &log->bucket[(size_t)hash & (log->buckets - 1)];
    while (*at && (log->hash[*at - 1] != hash || memcmp(log->encodings + (*at - 1) * q, encoding, q * sizeof(float))))
        at = &log->next[*at - 1];
    return at;
}

// A row for a query that is not there: the next new one or, going round, one that no model has a score in; SIZE_MAX:
// there is none.
LOCUSI_FN size_t locusi_log_row(locus_log *log, const float *encoding, uint64_t hash)
{
    const size_t q = log->net->q;
    size_t row = log->rows, tried = 0;
    if (row < log->capacity) log->rows++;
    else {
        while (tried++ < log->capacity && log->users[log->hand]) log->hand = (log->hand + 1) % log->capacity;
        row = log->hand;
        if (log->users[row]) return SIZE_MAX;
        *locusi_log_find(log, log->encodings + row * q, log->hash[row]) = log->next[row];
    }
    memcpy(log->encodings + row * q, encoding, q * sizeof(float));
    log->hash[row] = hash;
    log->next[row] = 0;
    *locusi_log_find(log, encoding, hash) = (uint32_t)(row + 1);
    return row;
}

LOCUSI_FN locus_status locusi_check_log(const locus_log *log, size_t model, locus_error *err)
{
    if (!log) return locusi_null(err, "log");
    if (model >= log->models)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "model", "below %z", "%z", log->models, model);
    return LOCUS_OK;
}

LOCUS_API locus_status locus_log_add(locus_log *log, size_t model, const float *encoding, float score, locus_error *err)
{
    uint64_t hash;
    size_t row, cell;
    locus_status status;
    if ((status = locusi_check_log(log, model, err))) return status;
    if (!encoding) return locusi_null(err, "encoding");
    if (!locusi_is_nan(score) && !(score >= 0.0f && score <= 1.0f))
        return locusi_fail(err, LOCUS_ERR_SCORE, "score", "0 to 1, or NaN to take it out", "%f", (double)score);
    if (locusi_encoding_norm(log->net, encoding) < 0.0) return locusi_bad_encoding(encoding, log->net->q, 0, err);
    hash = locusi_encoding_hash(encoding, log->net->q);
    row = (size_t)*locusi_log_find(log, encoding, hash) - 1; // SIZE_MAX: none
    if (row == SIZE_MAX && locusi_is_nan(score)) return LOCUS_OK;
    if (row == SIZE_MAX && (row = locusi_log_row(log, encoding, hash)) == SIZE_MAX)
        return locusi_fail(err, LOCUS_ERR_MEMORY, "log", "a row without scores", "scores in all %z", log->capacity);
    cell = model * log->capacity + row;
    if (log->stamp[cell]) log->users[row]--;
    if (!locusi_is_nan(score)) log->users[row]++;
    log->scores[cell] = score;
    log->stamp[cell] = locusi_is_nan(score) ? 0 : ++log->clock;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_log_forget(locus_log *log, size_t model, size_t keep, locus_error *err)
{
    uint64_t low = 0, high, *stamp;
    size_t i, later;
    const locus_status status = locusi_check_log(log, model, err);
    if (status) return status;
    stamp = log->stamp + model * log->capacity;
    for (high = log->clock; low < high;) { // the lowest stamp that at most `keep` scores lie above
        const uint64_t middle = low + (high - low) / 2;
        for (i = later = 0; i < log->rows; i++) later += stamp[i] > middle;
        if (later > keep) low = middle + 1;
        else high = middle;
    }
    for (i = 0; i < log->rows; i++)
        if (stamp[i] && stamp[i] <= low) {
            stamp[i] = 0;
            log->scores[model * log->capacity + i] = locusi_nan();
            log->users[i]--;
        }
    return LOCUS_OK;
}

LOCUS_API locus_evals locus_log_evals(const locus_log *log, size_t model)
{
    locus_evals evals;
    memset(&evals, 0, sizeof evals);
    if (!log || model >= log->models) return evals;
    evals.queries.encodings = log->encodings;
    evals.queries.count = log->rows;
    evals.queries.dim = log->net->q;
    evals.scores.models = 1;
    evals.scores.f32 = log->scores + model * log->capacity;
    return evals;
}

#endif // LOCUS_NO_EXPLORE

// --------------------------------------------------------------------------------------------------------- >>train
//
// Parameters, gradients and the optimiser's moments are flat arrays of one layout: each matrix row-major with rows and
// columns padded to multiples of 16 (attention weights in head layout), each vector padded; the pads are 0 and stay 0.
//
// A step. What all models share is computed once: the step's queries with their noise, the tokens of score 0 and 1
// (a token is affine in the score) and their keys, values and queries in layer 0. Then each model goes forward and
// backward alone, so that a thread keeps one model's activations; what it owes the shared rows is summed over the
// models before it meets the shared weights. Models are split into groups, each summed in order by one thread, and
// groups are added in order: the number of threads changes no bit.
//
// The way forward is written here once more: >>encoder sums in integers, in tiles that it forgets; here the sums are
// floats, and what the way back needs is kept.
//
// Attention is a tall matrix [tokens, lds]: column (head, inducing vector). Where tokens attend to inducing vectors
// the softmax runs along a row, where inducing vectors attend to tokens it runs down a column.

#ifndef LOCUS_NO_TRAIN

#define LOCUSI_GROUPS ((size_t)8)
#define LOCUSI_ROW_TASK ((size_t)128)
#define LOCUSI_LARGEST_WEIGHT 1e6 // of a trainer; times the largest scale of encodings still one that a net may have
#define LOCUSI_LARGEST_SCALE 1e6f
enum { LOCUSI_MAX_LAYERS = 16, LOCUSI_STATES = 5 };

// The parameters, in the order of a net's tensors (two tensors are cut into three by columns). First the token map's:
// its columns for q, for y, for q (2y-1), and its bias.
enum { // of one type, to be added up
    LOCUSI_A = 0,
    LOCUSI_AY,
    LOCUSI_C,
    LOCUSI_AB,
    LOCUSI_LAYERS,
    // A block's. A layer is I, mab1 and mab2; behind the layers comes the rest, from the pooling's S on.
    LOCUSI_WQ = 0,
    LOCUSI_WK,
    LOCUSI_WV,
    LOCUSI_FC,
    LOCUSI_GAIN0,
    LOCUSI_BIAS0,
    LOCUSI_GAIN1,
    LOCUSI_BIAS1,
    LOCUSI_W1 = LOCUSI_BIAS1 + 1,
    LOCUSI_B1,
    LOCUSI_W2,
    LOCUSI_B2,
    LOCUSI_MAB,
    LOCUSI_I = 0,
    LOCUSI_MAB1,
    LOCUSI_MAB2 = LOCUSI_MAB1 + LOCUSI_MAB,
    LOCUSI_LAYER = LOCUSI_MAB2 + LOCUSI_MAB,
    LOCUSI_S = 0,
    LOCUSI_POOL,
    LOCUSI_OUT = LOCUSI_POOL + LOCUSI_MAB,
    LOCUSI_OUT_B,
    LOCUSI_U,
    LOCUSI_U_B,
    LOCUSI_HZ = LOCUSI_U_B + 1,
    LOCUSI_HU,
    LOCUSI_HZU,
    LOCUSI_H_B,
    LOCUSI_LAST,
    LOCUSI_LAST_B
};

typedef struct locusi_param {
    size_t at, out, in;                          // in the flat arrays: out rows of in floats
    size_t rows, columns;                        // real
    size_t tensor, first, row_step, column_step; // whose elements these are (see locusi_spec_at) and where they stand
    int heads_out, heads_in;                     // rows, columns in head layout
} locusi_param;

LOCUSI_FN locusi_param locusi_param_make(const locus_net *s, size_t tensor, size_t part)
{
    const size_t encoder = locusi_encoder_tensors(s), seed = encoder - LOCUSI_MAB - 3, q = s->q;
    locusi_param p;
    locusi_spec spec;
    int vector;
    locusi_spec_at(s, tensor, "", &spec);
    memset(&p, 0, sizeof p);
    p.tensor = tensor;
    p.rows = spec.rank > 1 ? spec.shape[spec.rank - 2] : 1;
    p.columns = p.row_step = spec.shape[spec.rank - 1];
    p.column_step = 1;
    vector = spec.rank == 1 || tensor == seed || tensor == encoder + 4;
    if (tensor == 0) { // q | y | q (2y-1)
        p.first = part ? q + part - 1 : 0;
        p.columns = q;
        if (part == 1) vector = 1, p.rows = 1, p.columns = s->d, p.column_step = 2 * q + 1;
    } else if (tensor == encoder + 2) { // z | u | z u
        p.first = part * s->d;
        p.columns = s->d;
    } else if (tensor >= 2 && tensor <= seed + LOCUSI_MAB && (tensor - 2) % LOCUSI_LAYER) {
        const size_t i = ((tensor - 2) % LOCUSI_LAYER - 1) % LOCUSI_MAB;
        p.heads_out = i < LOCUSI_FC;
        p.heads_in = i == LOCUSI_FC;
    }
    p.out = vector ? 1 : p.heads_out ? s->hp : locusi_pad(p.rows);
    p.in = p.heads_in ? s->hp : locusi_pad(p.columns);
    return p;
}

// All of them; to NULL they are only counted. Floats: of the encoder's, which come first, and of all.
LOCUSI_FN size_t locusi_params_make(const locus_net *s, locusi_param *to, size_t *encoder_floats, size_t *floats)
{
    const size_t encoder = locusi_encoder_tensors(s);
    size_t tensor, part, n = 0;
    *floats = 0;
    for (tensor = 0; tensor < encoder + LOCUSI_DECODER_TENSORS; tensor++) {
        if (tensor == encoder) *encoder_floats = *floats;
        for (part = 0; part < (tensor == 0 || tensor == encoder + 2 ? 3u : 1u); part++, n++) {
            locusi_param p = locusi_param_make(s, tensor, part);
            p.at = *floats;
            *floats += p.out * p.in;
            if (to) to[n] = p;
        }
    }
    return n;
}

// Where element (row, column) of a parameter stands in the flat arrays, and in its tensor.
LOCUSI_FN size_t locusi_param_at(const locus_net *s, const locusi_param *p, size_t row, size_t column)
{
    if (p->heads_out) row = locusi_head_column(s, row);
    if (p->heads_in) column = locusi_head_column(s, column);
    return p->at + row * p->in + column;
}

LOCUSI_FN size_t locusi_param_in(const locusi_param *p, size_t row, size_t column)
{
    return p->first + row * p->row_step + column * p->column_step;
}

// ---- the step's arithmetic. Rows of width w stand w + 16 floats apart, so that columns do not share a cache set.

typedef struct locusi_kept {    // of a block on its way forward, for the way back
    float *queries;             // [rows, ldh]; mab1 and the pooling do without: theirs belong to the weights
    float *keys, *values;       // [keys, ldh]
    float *attention;           // [n, lds]; the pooling's: [n, headsp]
    float *heads;               // [rows, ldh] what attention gave, heads side by side
    float *hat0, *hat1;         // [rows, ldx] the two layer norms before gain and bias
    float *inverse0, *inverse1; // [rows] 1 / deviation
    float *hidden;              // [rows, ldf] feed-forward's hidden layer after ReLU
    float *result;              // [rows, ldx]
} locusi_kept;

typedef struct locusi_kept_layer {
    float *x; // [n, ldx] its input
    locusi_kept mab1, mab2;
} locusi_kept_layer;

typedef struct locusi_train_worker { // one thread's activations of one model, and what they are owed
    size_t *rows;                    // the model's evaluations: rows of the step's table,
    float *y;                        // and their scores
    size_t count;
    locusi_kept_layer layer[LOCUSI_MAX_LAYERS + 1]; // the one behind the last has the pooling's input
    locusi_kept pool;
    float *means;                             // [headsp, ldx] the pooling's weighted means of the tokens
    float *z, *dz;                            // [dp]
    float *dx, *dq, *dk, *dv;                 // [n, ldx] tokens; [n, ldh] a layer's queries, keys and values
    float *dinduced;                          // [rp, ldx] mab1's result,
    float *dinduced_keys, *dinduced_values;   // [rp, ldh] and what mab2 makes of it
    float *dpooled, *dmeans, *dseed_keys;     // [ldx], [headsp, ldx]
    float *dpool_scores;                      // [n, headsp]
    float *o, *dhidden, *dheads, *dattention; // a tile's; o: after the first layer norm and ReLU
    float *dot;                               // [heads * rp] or [headsp] what a softmax down a column takes off
    float *packed;                            // right-hand side of small products
    float *scaled, *scaled_rows;              // [gp, dp] predictor: W_zu with columns scaled by z, packed and as rows
    float *from_z, *dhz, *e;                  // [gp], [gp, dp]
    float *pre, *dpre, *dlogit;               // [targets, ldg], [targets]
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
    const float *queries;        // [rows, ldq]
    const float *target_queries; // [targets, ldq]
    const float *scores;         // [models, rows]
    const float *target_scores;  // [models, targets]; NULL: only embeddings and logits are wanted
    float *z;                    // [models, dp] results, may be NULL
    float *logits;               // [models, targets] results, may be NULL
    const float *model_weight;   // [models] of each target's cross-entropy in the loss
    uint64_t dropout_key;        // 0: no dropout
    const size_t *model_id;      // [models] what dropout is drawn by; NULL: 0, 1, ...
    size_t silent;               // so many models at the end do not count in the loss
    int add;                     // this step's gradients add to those before
} locusi_batch;

struct locus_trainer {
    locus_net shape;                          // sizes alone
    locusi_param *params, *rest;              // rest: behind the layers
    size_t param_count, count, encoder_count; // of floats
    const locusi_kernels *k;
    locus_run run; // as given; its isa is resolved, its memory left out
    size_t qp, headsp, ldq, ldx, ldh, ldf, lds, ldg;
    size_t most_rows, most_targets, workers, groups, group_floats;
    float *state;                          // [5, count] these, of all parameters:
    float *theta, *m, *v, *average, *best; // weights, moments, running mean of the weights, the best of those
    float *forward, *backward;             // weights packed for x W^T, and for dy W
    float *live, *no_column;               // [dp] 1 on real columns, 0 beyond; [rp] 0 on real columns, -1e30 beyond
    float *induce_queries, *packed_induce; // [layers][rp, ldh]; [layers][heads * dhp * rp] packed, times scale
    float *seed_queries, *packed_seed;     // [hp]; packed [dp -> headsp], times scale
    float *seed_keys;                      // [headsp, ldx] W_k^T of the pooling query, by head
    float *t[2], *tq[2], *tk[2], *tv[2];   // the table: tokens of score 0 and 1 [rows, ldx], what layer 0 makes of them
    float *u, *hu;                         // [targets, ldx], [targets, ldg]
    float *sums;                           // the groups' blocks, one behind the other; between steps for other uses
    size_t sums_bytes;
    locusi_train_worker worker[LOCUSI_GROUPS];
    locusi_train_group group[LOCUSI_GROUPS];
    // the running step
    const locusi_batch *batch;
    void (*task)(locus_trainer *t, size_t worker, size_t item);
    float deviation; // of its noise
    uint64_t salt;
    int bad;
    // the course
    locus_train_data data;
    locus_train_opts o; // resolved
    char query_encoder[96];
    size_t n, models, validation, virtuals, unlabelled;
    float scale;                         // encodings are multiplied by this: unit mean square of an entry
    float *queries, *validation_queries; // [train, ldq], [validation, ldq] scaled
    float *scores, *validation_scores;   // [models, train], [models, validation]
    float *step_queries, *target_queries, *step_scores, *target_scores, *model_weight;
    size_t *order; // [train] the step's subset, then the other rows
    size_t *targets, *model_id;
    locusi_keyed *keys;
    float *z, *logits;
    void *metrics_work;
    size_t metrics_bytes;
    unsigned char *text; // the text encoder's keys and weights as in a file
    size_t leader;       // of the validation queries
    // for virtual models: the pool's item-response model
    float *difficulty;      // [train + unlabelled] f
    double *item;           // [train] t - f
    float *own;             // [models, train + unlabelled] h_m
    double ability, spread; // mean and deviation of the models' logit(mu)
    float *told;            // [validation, models] the recall's logits
    double recall_weight;   // that suits it beside `best`; 0: not known
    double strength;        // of a virtual model's own differences, at most, as a factor of the real ones'
    uint64_t data_hash;
    // progress
    size_t epoch, best_epoch;
    double best_value;
    int finished;
    void *owned; // the block that all of it stands in; NULL: the caller's
};

// y [n, out] <- x [n, in] W^T + bias + residual, ReLU
LOCUSI_FN void locusi_affine(const locus_trainer *t, const locusi_param *w, const float *x, size_t n, float *y,
                             const float *bias, const float *residual, size_t ldr, int relu)
{
    locusi_matmul_run(t->k, x, w->in + 16, n, w->in, t->forward + w->at, w->out, y, w->out + 16, bias, residual, ldr,
                      relu);
}

LOCUSI_FN void locusi_through(const locus_trainer *t, const locusi_param *w, const float *x, size_t n, float *y)
{
    locusi_affine(t, w, x, n, y, NULL, NULL, 0, 0);
}

// dx [n, in] (+)= dy [n, out] W
LOCUSI_FN void locusi_back(const locus_trainer *t, const locusi_param *w, const float *dy, size_t n, float *dx, int add)
{
    locusi_product(t->k, dy, w->out + 16, 1, n, w->out, t->backward + w->at, 16, 16 * w->out, w->in, dx, w->in + 16,
                   add);
}

// dW [out, in] += dy^T x
LOCUSI_FN void locusi_owe(const locus_trainer *t, float *g, const locusi_param *w, const float *dy, const float *x,
                          size_t n)
{
    locusi_product(t->k, dy, 1, w->out + 16, w->out, n, x, w->in + 16, 16, w->in, g + w->at, w->in, 1);
}

LOCUSI_FN void locusi_train_pack(const locus_trainer *t, const locusi_param *w)
{
    size_t i, j, c, k;
    for (i = 0; i < w->out; i += 16)
        for (c = 0; c < w->in; c += 16)
            for (j = 0; j < 16; j++) {
                const float *from = t->theta + w->at + (i + j) * w->in + c;
                float *to = t->forward + w->at + i * w->in + c * 16 + j;
                for (k = 0; k < 16; k++) to[16 * k] = from[k];
                memcpy(t->backward + w->at + c * w->out + (i + j) * 16, from, 16 * sizeof(float));
            }
}

LOCUSI_FN float locusi_dot(const float *a, const float *b, size_t n)
{
    float sum = 0.0f;
    size_t i;
    for (i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

// The products of attention, head by head. a [n, lds] <- x [n, ldh] times packed [dhp -> rp], plus bias
LOCUSI_FN void locusi_heads_score(const locus_trainer *t, const float *x, size_t n, const float *packed,
                                  const float *bias, float *a)
{
    const size_t rp = t->shape.rp, dhp = t->shape.dhp;
    size_t h;
    for (h = 0; h < t->shape.heads; h++)
        locusi_matmul_run(t->k, x + h * dhp, t->ldh, n, dhp, packed + h * dhp * rp, rp, a + h * rp, t->lds, bias, NULL,
                          0, 0);
}

// out [n, ldh] <- a [n, lds] times v [r, ldh]
LOCUSI_FN void locusi_heads_mix(const locus_trainer *t, const float *a, size_t n, const float *v, float *out)
{
    const size_t rp = t->shape.rp, dhp = t->shape.dhp;
    size_t h;
    for (h = 0; h < t->shape.heads; h++)
        locusi_product(t->k, a + h * rp, t->lds, 1, n, t->shape.r, v + h * dhp, t->ldh, 16, dhp, out + h * dhp, t->ldh,
                       0);
}

// out [r, ldh] (+)= a^T [lds, n] times v [n, ldh]
LOCUSI_FN void locusi_heads_gather(const locus_trainer *t, const float *a, size_t n, const float *v, float *out,
                                   int add)
{
    const size_t rp = t->shape.rp, dhp = t->shape.dhp;
    size_t h;
    for (h = 0; h < t->shape.heads; h++)
        locusi_product(t->k, a + h * rp, 1, t->lds, t->shape.r, n, v + h * dhp, t->ldh, 16, dhp, out + h * dhp, t->ldh,
                       add);
}

// packed [dhp -> rp] for each head <- rows [r, ldh], times scale; pads are 0
LOCUSI_FN void locusi_heads_pack(const locus_trainer *t, const float *rows, float scale, float *packed)
{
    const size_t rp = t->shape.rp, dhp = t->shape.dhp;
    size_t h, i, c;
    for (h = 0; h < t->shape.heads; h++, packed += dhp * rp)
        for (i = 0; i < rp; i++)
            for (c = 0; c < dhp; c++)
                packed[locusi_packed(i, c, dhp)] = i < t->shape.r ? scale * rows[i * t->ldh + h * dhp + c] : 0.0f;
}

// packed [dp -> headsp] <- rows [headsp, ldx], times scale
LOCUSI_FN void locusi_pool_pack(const locus_trainer *t, const float *rows, float scale, float *packed)
{
    size_t h, j;
    for (h = 0; h < t->headsp; h++)
        for (j = 0; j < t->shape.dp; j++) packed[locusi_packed(h, j, t->shape.dp)] = scale * rows[h * t->ldx + j];
}

LOCUSI_FN const locusi_param *locusi_layer_at(const locus_trainer *t, size_t l)
{
    return t->params + LOCUSI_LAYERS + l * LOCUSI_LAYER;
}

// What depends on the weights alone, after each change of them.
LOCUSI_FN void locusi_train_prepare(const locus_trainer *t)
{
    const locus_net *s = &t->shape;
    const locusi_param *pool = t->rest + LOCUSI_POOL;
    const float scale = locusi_softmax_scale(s);
    size_t i, h, c;
    for (i = 0; i < t->param_count; i++)
        if (t->params[i].out > 1) locusi_train_pack(t, &t->params[i]);
    for (i = 0; i < s->layers; i++) {
        const locusi_param *at = locusi_layer_at(t, i);
        float *const queries = t->induce_queries + i * s->rp * t->ldh;
        locusi_matmul_run(t->k, t->theta + at->at, s->dp, s->rp, s->dp, t->forward + at[LOCUSI_MAB1 + LOCUSI_WQ].at,
                          s->hp, queries, t->ldh, NULL, NULL, 0, 0);
        locusi_heads_pack(t, queries, scale, t->packed_induce + i * s->hp * s->rp);
    }
    // scores of the pooling query against keys W_k x are x times W_k^T (W_q S), head by head
    locusi_through(t, &pool[LOCUSI_WQ], t->theta + t->rest[LOCUSI_S].at, 1, t->seed_queries);
    memset(t->seed_keys, 0, t->headsp * t->ldx * sizeof(float));
    for (h = 0; h < s->heads; h++)
        for (c = h * s->dhp; c < (h + 1) * s->dhp; c++)
            t->k->axpy(t->seed_queries[c], t->theta + pool[LOCUSI_WK].at + c * s->dp, t->seed_keys + h * t->ldx, s->dp);
    locusi_pool_pack(t, t->seed_keys, scale, t->packed_seed);
}

// ---- forward

// A block behind its attention: kept->result <- LN1(o + rff(o)), o = ReLU(LN0(heads fc^T + residual)), for n rows
LOCUSI_FN int locusi_block_forward(const locus_trainer *t, const locusi_train_worker *w, const locusi_param *m,
                                   const locusi_kept *kept, size_t first, size_t n, const float *residual, size_t ldr)
{
    const size_t d = t->shape.d, panels = t->shape.dp / 16, ldx = t->ldx;
    const float *theta = t->theta;
    float *o = w->o, *hidden = kept->hidden + first * t->ldf, *y = kept->result + first * ldx;
    int finite;
    locusi_affine(t, &m[LOCUSI_FC], kept->heads + first * t->ldh, n, o, NULL, residual, ldr, 0);
    finite = t->k->layernorm(o, ldx, n, d, panels, theta + m[LOCUSI_GAIN0].at, theta + m[LOCUSI_BIAS0].at, t->live, 1,
                             kept->hat0 + first * ldx, kept->inverse0 + first);
    locusi_affine(t, &m[LOCUSI_W1], o, n, hidden, theta + m[LOCUSI_B1].at, NULL, 0, 1);
    locusi_affine(t, &m[LOCUSI_W2], hidden, n, y, theta + m[LOCUSI_B2].at, o, ldx, 0);
    return t->k->layernorm(y, ldx, n, d, panels, theta + m[LOCUSI_GAIN1].at, theta + m[LOCUSI_BIAS1].at, t->live, 0,
                           kept->hat1 + first * ldx, kept->inverse1 + first) &
           finite;
}

// out [count, ld] <- rows of the table, mixed by the score: (1-y) row of 0 + y row of 1
LOCUSI_FN void locusi_table_rows(const locus_trainer *t, float *const table[2], size_t ld, const locusi_train_worker *w,
                                 float *out)
{
    size_t i;
    for (i = 0; i < w->count; i++, out += ld) {
        const float y = w->y[i], *zero = table[0] + w->rows[i] * ld, *one = table[1] + w->rows[i] * ld;
        memcpy(out, y >= 1.0f ? one : zero, (ld - 16) * sizeof(float));
        if (!(y > 0.0f && y < 1.0f)) continue;
        t->k->axpy(-y, zero, out, ld - 16);
        t->k->axpy(y, one, out, ld - 16);
    }
}

// The table's rows receive their share: dtable[0] += (1-y) d, dtable[1] += y d.
LOCUSI_FN void locusi_owe_table(const locus_trainer *t, float *const dtable[2], size_t ld, const locusi_train_worker *w,
                                const float *d)
{
    size_t i;
    for (i = 0; i < w->count; i++, d += ld) {
        const float y = w->y[i];
        if (y < 1.0f) t->k->axpy(1.0f - y, d, dtable[0] + w->rows[i] * ld, ld - 16);
        if (y > 0.0f) t->k->axpy(y, d, dtable[1] + w->rows[i] * ld, ld - 16);
    }
}

LOCUSI_FN size_t locusi_tile(const locusi_train_worker *w, size_t from) // rows of the tile that begins there
{
    return w->count - from < LOCUSI_TILE ? w->count - from : LOCUSI_TILE;
}

LOCUSI_FN int locusi_layer_forward(const locus_trainer *t, locusi_train_worker *w, size_t l)
{
    const locus_net *s = &t->shape;
    const locusi_param *at = locusi_layer_at(t, l);
    const locusi_kept *m1 = &w->layer[l].mab1, *m2 = &w->layer[l].mab2;
    const float *x = w->layer[l].x;
    size_t from, n, h;
    int finite;
    if (l) {
        locusi_through(t, &at[LOCUSI_MAB1 + LOCUSI_WK], x, w->count, m1->keys);
        locusi_through(t, &at[LOCUSI_MAB1 + LOCUSI_WV], x, w->count, m1->values);
    } else {
        locusi_table_rows(t, t->tk, t->ldh, w, m1->keys);
        locusi_table_rows(t, t->tv, t->ldh, w, m1->values);
        locusi_table_rows(t, t->tq, t->ldh, w, m2->queries);
    }
    // the inducing vectors attend to the tokens
    locusi_heads_score(t, m1->keys, w->count, t->packed_induce + l * s->hp * s->rp, NULL, m1->attention);
    t->k->softmax_down(m1->attention, t->lds, w->count, s->heads * s->rp / 16);
    locusi_heads_gather(t, m1->attention, w->count, m1->values, m1->heads, 0);
    finite = locusi_block_forward(t, w, at + LOCUSI_MAB1, m1, 0, s->r, t->theta + at->at, s->dp);
    // the tokens attend to what became of them
    locusi_through(t, &at[LOCUSI_MAB2 + LOCUSI_WK], m1->result, s->r, m2->keys);
    locusi_through(t, &at[LOCUSI_MAB2 + LOCUSI_WV], m1->result, s->r, m2->values);
    locusi_heads_pack(t, m2->keys, locusi_softmax_scale(s), w->packed);
    for (from = 0; from < w->count; from += n) {
        float *q = m2->queries + from * t->ldh, *a = m2->attention + from * t->lds;
        n = locusi_tile(w, from);
        if (l) locusi_through(t, &at[LOCUSI_MAB2 + LOCUSI_WQ], x + from * t->ldx, n, q);
        locusi_heads_score(t, q, n, w->packed, t->no_column, a);
        for (h = 0; h < s->heads; h++) t->k->softmax(a + h * s->rp, t->lds, n, s->rp / 16);
        locusi_heads_mix(t, a, n, m2->values, m2->heads + from * t->ldh);
        finite &= locusi_block_forward(t, w, at + LOCUSI_MAB2, m2, from, n, x + from * t->ldx, t->ldx);
    }
    return finite;
}

// w->z <- the embedding of the w->count evaluations in w->rows, w->y
LOCUSI_FN int locusi_model_forward(const locus_trainer *t, locusi_train_worker *w)
{
    const locus_net *s = &t->shape;
    const locusi_param *at = t->rest;
    const float *x = w->layer[s->layers].x;
    const size_t hp = t->headsp;
    size_t l, h, c;
    int finite = 1;
    locusi_table_rows(t, t->t, t->ldx, w, w->layer[0].x);
    for (l = 0; l < s->layers; l++) finite &= locusi_layer_forward(t, w, l);
    locusi_matmul_run(t->k, x, t->ldx, w->count, s->dp, t->packed_seed, hp, w->pool.attention, hp, NULL, NULL, 0, 0);
    t->k->softmax_down(w->pool.attention, hp, w->count, hp / 16);
    locusi_product(t->k, w->pool.attention, 1, hp, s->heads, w->count, x, t->ldx, 16, s->dp, w->means, t->ldx, 0);
    for (h = 0; h < s->heads; h++)
        for (c = h * s->dhp; c < (h + 1) * s->dhp; c++)
            w->pool.heads[c] =
                locusi_dot(t->theta + at[LOCUSI_POOL + LOCUSI_WV].at + c * s->dp, w->means + h * t->ldx, s->dp);
    finite &= locusi_block_forward(t, w, at + LOCUSI_POOL, &w->pool, 0, 1, t->theta + at[LOCUSI_S].at, s->dp);
    locusi_affine(t, &at[LOCUSI_OUT], w->pool.result, 1, w->z, t->theta + at[LOCUSI_OUT_B].at, NULL, 0, 0);
    return finite;
}

// ---- backward

// dy (n rows): of the result -> of the residual; w->dheads: of what attention gave; what is owed to the weights is
// added.
LOCUSI_FN void locusi_block_backward(const locus_trainer *t, locusi_train_worker *w, float *g, const locusi_param *m,
                                     const locusi_kept *kept, size_t first, size_t n, float *dy)
{
    const size_t d = t->shape.d, panels = t->shape.dp / 16, hidden_panels = t->shape.fp / 16, ldx = t->ldx;
    const float *hidden = kept->hidden + first * t->ldf, *hat0 = kept->hat0 + first * ldx;
    float *o = w->o;
    t->k->layernorm_back(dy, ldx, n, d, panels, t->theta + m[LOCUSI_GAIN1].at, t->live, kept->hat1 + first * ldx,
                         kept->inverse1 + first, g + m[LOCUSI_GAIN1].at, g + m[LOCUSI_BIAS1].at);
    locusi_owe(t, g, &m[LOCUSI_W2], dy, hidden, n);
    t->k->add_rows(dy, ldx, n, panels, g + m[LOCUSI_B2].at);
    locusi_back(t, &m[LOCUSI_W2], dy, n, w->dhidden, 0);
    t->k->relu_back(w->dhidden, t->ldf, hidden, t->ldf, n, hidden_panels);
    t->k->affine_relu(hat0, ldx, n, panels, t->theta + m[LOCUSI_GAIN0].at, t->theta + m[LOCUSI_BIAS0].at, o);
    locusi_owe(t, g, &m[LOCUSI_W1], w->dhidden, o, n);
    t->k->add_rows(w->dhidden, t->ldf, n, hidden_panels, g + m[LOCUSI_B1].at);
    locusi_back(t, &m[LOCUSI_W1], w->dhidden, n, dy, 1);
    t->k->relu_back(dy, ldx, o, ldx, n, panels);
    t->k->layernorm_back(dy, ldx, n, d, panels, t->theta + m[LOCUSI_GAIN0].at, t->live, hat0, kept->inverse0 + first,
                         g + m[LOCUSI_GAIN0].at, g + m[LOCUSI_BIAS0].at);
    locusi_owe(t, g, &m[LOCUSI_FC], dy, kept->heads + first * t->ldh, n);
    locusi_back(t, &m[LOCUSI_FC], dy, n, w->dheads, 0);
}

// dx (+)= dk W_k + dv W_v, and what is owed to W_k and W_v
LOCUSI_FN void locusi_keys_backward(const locus_trainer *t, float *g, const locusi_param *m, const float *dk,
                                    const float *dv, const float *x, size_t n, float *dx, int add)
{
    locusi_owe(t, g, &m[LOCUSI_WK], dk, x, n);
    locusi_owe(t, g, &m[LOCUSI_WV], dv, x, n);
    locusi_back(t, &m[LOCUSI_WK], dk, n, dx, add);
    locusi_back(t, &m[LOCUSI_WV], dv, n, dx, 1);
}

// mab2, the tokens attend. w->dx: of the layer's result -> of its input, but for what goes through mab1; from there
// w->dinduced_keys and _values; w->dq in layer 0, whose queries stand in the table.
LOCUSI_FN void locusi_attend_backward(const locus_trainer *t, locusi_train_worker *w, float *g, size_t l)
{
    const locus_net *s = &t->shape;
    const locusi_param *at = locusi_layer_at(t, l) + LOCUSI_MAB2;
    const locusi_kept *kept = &w->layer[l].mab2;
    const float natural = 1.0f / sqrtf((float)s->dh);
    size_t from, h, n;
    locusi_heads_pack(t, kept->values, 1.0f, w->packed);
    memset(w->dinduced_keys, 0, s->r * t->ldh * sizeof(float));
    memset(w->dinduced_values, 0, s->r * t->ldh * sizeof(float));
    for (from = 0; from < w->count; from += n) {
        const float *a = kept->attention + from * t->lds;
        float *dq = l ? w->dq : w->dq + from * t->ldh, *dx = w->dx + from * t->ldx, *da = w->dattention;
        n = locusi_tile(w, from);
        locusi_block_backward(t, w, g, at, kept, from, n, dx);
        locusi_heads_score(t, w->dheads, n, w->packed, NULL, da);
        locusi_heads_gather(t, a, n, w->dheads, w->dinduced_values, 1);
        for (h = 0; h < s->heads; h++)
            t->k->softmax_back(a + h * s->rp, da + h * s->rp, t->lds, t->lds, n, s->rp / 16, natural);
        locusi_heads_mix(t, da, n, kept->keys, dq);
        locusi_heads_gather(t, da, n, kept->queries + from * t->ldh, w->dinduced_keys, 1);
        if (l == 0) continue;
        locusi_owe(t, g, &at[LOCUSI_WQ], dq, w->layer[l].x + from * t->ldx, n);
        locusi_back(t, &at[LOCUSI_WQ], dq, n, dx, 1);
    }
}

// mab1, the inducing vectors attend. From w->dinduced to w->dk and w->dv of the tokens, and to the inducing vectors.
LOCUSI_FN void locusi_induce_backward(const locus_trainer *t, locusi_train_worker *w, locusi_train_group *group,
                                      size_t l)
{
    const locus_net *s = &t->shape;
    const locusi_param *at = locusi_layer_at(t, l);
    const locusi_kept *kept = &w->layer[l].mab1;
    const float natural = 1.0f / sqrtf((float)s->dh);
    const size_t induced = l * s->rp * t->ldh;
    float *g = group->gradient, *da = w->dattention;
    size_t h, i, c, n, from;
    locusi_block_backward(t, w, g, at + LOCUSI_MAB1, kept, 0, s->r, w->dinduced);
    for (i = 0; i < s->r; i++) t->k->axpy(1.0f, w->dinduced + i * t->ldx, g + at->at + i * s->dp, s->dp);
    memset(w->dot, 0, s->heads * s->rp * sizeof(float));
    for (h = 0; h < s->heads; h++)
        for (i = 0; i < s->r; i++)
            for (c = h * s->dhp; c < h * s->dhp + s->dh; c++)
                w->dot[h * s->rp + i] += w->dheads[i * t->ldh + c] * kept->heads[i * t->ldh + c];
    locusi_heads_pack(t, w->dheads, 1.0f, w->packed);
    for (from = 0; from < w->count; from += n) {
        const float *a = kept->attention + from * t->lds;
        n = locusi_tile(w, from);
        locusi_heads_score(t, kept->values + from * t->ldh, n, w->packed, NULL, da);
        t->k->softmax_down_back(a, da, t->lds, t->lds, n, s->heads * s->rp / 16, w->dot, natural);
        locusi_heads_mix(t, da, n, t->induce_queries + induced, w->dk + from * t->ldh);
        locusi_heads_gather(t, da, n, kept->keys + from * t->ldh, group->dinduce + induced, 1);
        locusi_heads_mix(t, a, n, w->dheads, w->dv + from * t->ldh);
    }
}

// w->dx: of the layer's result -> of its input.
LOCUSI_FN void locusi_layer_backward(const locus_trainer *t, locusi_train_worker *w, locusi_train_group *group,
                                     size_t l)
{
    const locusi_param *at = locusi_layer_at(t, l);
    const locusi_kept_layer *kept = &w->layer[l];
    float *g = group->gradient;
    locusi_attend_backward(t, w, g, l);
    locusi_keys_backward(t, g, at + LOCUSI_MAB2, w->dinduced_keys, w->dinduced_values, kept->mab1.result, t->shape.r,
                         w->dinduced, 0);
    locusi_induce_backward(t, w, group, l);
    if (l) {
        locusi_keys_backward(t, g, at + LOCUSI_MAB1, w->dk, w->dv, kept->x, w->count, w->dx, 1);
    } else {
        locusi_owe_table(t, group->dq, t->ldh, w, w->dq);
        locusi_owe_table(t, group->dk, t->ldh, w, w->dk);
        locusi_owe_table(t, group->dv, t->ldh, w, w->dv);
    }
}

// From w->dz to everything.
LOCUSI_FN void locusi_model_backward(const locus_trainer *t, locusi_train_worker *w, locusi_train_group *group)
{
    const locus_net *s = &t->shape;
    const locusi_param *at = t->rest;
    const float natural = 1.0f / sqrtf((float)s->dh), *x = w->layer[s->layers].x, *a = w->pool.attention;
    const size_t ldx = t->ldx, hp = t->headsp;
    float *g = group->gradient, *scores = w->dpool_scores;
    size_t h, c, l;
    t->k->axpy(1.0f, w->dz, g + at[LOCUSI_OUT_B].at, s->dp);
    for (c = 0; c < s->d; c++) t->k->axpy(w->dz[c], w->pool.result, g + at[LOCUSI_OUT].at + c * s->dp, s->dp);
    locusi_back(t, &at[LOCUSI_OUT], w->dz, 1, w->dpooled, 0);
    locusi_block_backward(t, w, g, at + LOCUSI_POOL, &w->pool, 0, 1, w->dpooled);
    t->k->axpy(1.0f, w->dpooled, g + at[LOCUSI_S].at, s->dp);
    // through the heads' outputs W_v mean to the means, and through the softmax to the scores
    memset(w->dmeans, 0, hp * ldx * sizeof(float));
    memset(w->dot, 0, hp * sizeof(float));
    for (h = 0; h < s->heads; h++) {
        for (c = h * s->dhp; c < h * s->dhp + s->dh; c++) {
            t->k->axpy(w->dheads[c], t->theta + at[LOCUSI_POOL + LOCUSI_WV].at + c * s->dp, w->dmeans + h * ldx, s->dp);
            t->k->axpy(w->dheads[c], w->means + h * ldx, g + at[LOCUSI_POOL + LOCUSI_WV].at + c * s->dp, s->dp);
        }
        w->dot[h] = locusi_dot(w->dmeans + h * ldx, w->means + h * ldx, s->dp);
    }
    locusi_pool_pack(t, w->dmeans, 1.0f, w->packed);
    locusi_matmul_run(t->k, x, ldx, w->count, s->dp, w->packed, hp, scores, hp, NULL, NULL, 0, 0);
    t->k->softmax_down_back(a, scores, hp, hp, w->count, hp / 16, w->dot, natural);
    locusi_product(t->k, a, hp, 1, w->count, s->heads, w->dmeans, ldx, 16, s->dp, w->dx, ldx, 0);
    locusi_product(t->k, scores, hp, 1, w->count, s->heads, t->seed_keys, ldx, 16, s->dp, w->dx, ldx, 1);
    locusi_product(t->k, scores, 1, hp, s->heads, w->count, x, ldx, 16, s->dp, w->dseed_keys, ldx, 0);
    for (h = 0; h < s->heads; h++)
        for (c = h * s->dhp; c < h * s->dhp + s->dh; c++) {
            const size_t row = at[LOCUSI_POOL + LOCUSI_WK].at + c * s->dp;
            t->k->axpy(t->seed_queries[c], w->dseed_keys + h * ldx, g + row, s->dp);
            group->dseed[c] += locusi_dot(t->theta + row, w->dseed_keys + h * ldx, s->dp);
        }
    for (l = s->layers; l-- > 0;) locusi_layer_backward(t, w, group, l);
    locusi_owe_table(t, group->dt, ldx, w, w->dx);
}

// ---- the predictor's part of a model's step

LOCUSI_FN void locusi_train_dropout(const locus_trainer *t, float *pre, uint64_t id)
{
    const uint64_t limit = (uint64_t)((double)(float)t->o.dropout * 65536.0);
    const float kept = 1.0f / (1.0f - (float)t->o.dropout);
    size_t i, j, c;
    for (i = 0; i < t->batch->targets; i++, pre += t->ldg)
        for (j = 0; j < t->shape.gp; j += 4) {
            uint64_t r = locusi_mix(t->batch->dropout_key + (id << 40) + (uint64_t)i * t->shape.gp + j);
            for (c = 0; c < 4; c++, r >>= 16) pre[j + c] = (r & 65535u) < limit ? 0.0f : pre[j + c] * kept;
        }
}

// w->dlogit <- the logits of w->z
LOCUSI_FN void locusi_predict_forward(const locus_trainer *t, locusi_train_worker *w, size_t model)
{
    const locusi_param *at = t->rest;
    const locusi_batch *b = t->batch;
    const size_t n = b->targets, gp = t->shape.gp, dp = t->shape.dp;
    size_t i;
    locusi_affine(t, &at[LOCUSI_HZ], w->z, 1, w->from_z, t->theta + at[LOCUSI_H_B].at, NULL, 0, 0);
    t->k->scale(t->forward + at[LOCUSI_HZU].at, w->z, dp, gp / 16, w->scaled);
    locusi_matmul_run(t->k, t->u, t->ldx, n, dp, w->scaled, gp, w->pre, t->ldg, w->from_z, t->hu, t->ldg, 1);
    if (b->dropout_key) locusi_train_dropout(t, w->pre, b->model_id ? b->model_id[model] : model);
    t->k->relu_dot(w->pre, t->ldg, n, gp, t->theta + at[LOCUSI_LAST].at, t->theta[at[LOCUSI_LAST_B].at], w->dlogit);
    for (i = 0; b->logits && i < n; i++) b->logits[i * b->models + model] = w->dlogit[i];
}

// The loss of the model's targets; w->dz and what is owed.
LOCUSI_FN double locusi_predict_backward(const locus_trainer *t, locusi_train_worker *w, locusi_train_group *group,
                                         size_t model)
{
    const locusi_param *at = t->rest;
    const locusi_batch *b = t->batch;
    const float *last = t->theta + at[LOCUSI_LAST].at, *score = b->target_scores + model * b->targets;
    const size_t n = b->targets, ldg = t->ldg, gp = t->shape.gp, dp = t->shape.dp;
    const float kept = b->dropout_key ? 1.0f / (1.0f - (float)t->o.dropout) : 1.0f;
    const double weight = (double)b->model_weight[model];
    float *g = group->gradient;
    double loss = 0.0;
    size_t i, j;
    memset(w->dpre, 0, n * ldg * sizeof(float));
    for (i = 0; i < n; i++) {
        const double logit = (double)w->dlogit[i], y = (double)score[i];
        float d;
        if (locusi_is_nan(score[i])) continue;
        loss += (logit > 0.0 ? logit : 0.0) + log1p(exp(-fabs(logit))) - y * logit;
        d = (float)((locus_probability(logit) - y) * weight);
        g[at[LOCUSI_LAST_B].at] += d;
        t->k->axpy(d, w->pre + i * ldg, g + at[LOCUSI_LAST].at, gp);
        t->k->axpy(d * kept, last, w->dpre + i * ldg, gp);
    }
    t->k->relu_back(w->dpre, ldg, w->pre, ldg, n, gp / 16);
    t->k->axpy(1.0f, w->dpre, group->dhu, n * ldg);
    memset(w->dhz, 0, gp * sizeof(float));
    t->k->add_rows(w->dpre, ldg, n, gp / 16, w->dhz);
    t->k->axpy(1.0f, w->dhz, g + at[LOCUSI_H_B].at, gp);
    locusi_back(t, &at[LOCUSI_HZ], w->dhz, 1, w->dz, 0);
    locusi_product(t->k, w->dpre, 1, ldg, gp, n, t->u, t->ldx, 16, dp, w->e, dp, 0);
    for (i = 0; i < gp; i++) {
        const float *row = t->theta + at[LOCUSI_HZU].at + i * dp, *e = w->e + i * dp;
        float *scaled = w->scaled_rows + i * dp, *owed = g + at[LOCUSI_HZU].at + i * dp;
        t->k->axpy(w->dhz[i], w->z, g + at[LOCUSI_HZ].at + i * dp, dp);
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

LOCUSI_FN void locusi_train_item(void *arg, size_t worker, size_t item)
{
    locus_trainer *t = (locus_trainer *)arg;
    t->task(t, worker, item);
}

LOCUSI_FN void locusi_train_spread(locus_trainer *t, size_t items,
                                   void (*task)(locus_trainer *t, size_t worker, size_t item))
{
    t->task = task;
    locusi_each(&t->run, t->workers, 0, items, locusi_train_item, t);
}

LOCUSI_FN void locusi_train_group_step(locus_trainer *t, size_t worker, size_t item)
{
    const locusi_batch *b = t->batch;
    locusi_train_worker *w = &t->worker[worker];
    locusi_train_group *group = &t->group[item];
    float *const cleared = b->add && item == 0 ? group->dinduce : group->gradient;
    size_t m, i;
    if (b->target_scores) memset(cleared, 0, (t->group_floats - (size_t)(cleared - group->gradient)) * sizeof(float));
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
        if (b->targets) locusi_predict_forward(t, w, m);
        if (b->target_scores) {
            const double loss = locusi_predict_backward(t, w, group, m);
            if (m + b->silent < b->models) group->loss += loss;
            locusi_model_backward(t, w, group);
        }
    }
}

// The table's rows [i, i + n).
LOCUSI_FN void locusi_train_table(const locus_trainer *t, size_t i, size_t n)
{
    const locusi_param *const mab1 = locusi_layer_at(t, 0) + LOCUSI_MAB1, *const mab2 = mab1 + LOCUSI_MAB;
    const float *queries = t->batch->queries + i * t->ldq, *ay = t->theta + t->params[LOCUSI_AY].at;
    float *zero = t->t[0] + i * t->ldx, *one = t->t[1] + i * t->ldx;
    size_t j, c, y;
    locusi_affine(t, &t->params[LOCUSI_A], queries, n, zero, t->theta + t->params[LOCUSI_AB].at, NULL, 0, 0);
    locusi_through(t, &t->params[LOCUSI_C], queries, n, one);
    for (j = 0; j < n; j++, zero += t->ldx, one += t->ldx)
        for (c = 0; c < t->shape.dp; c++) { // t0 = A q + b - C q, t1 = A q + b + C q + w_y
            const float even = zero[c], odd = one[c];
            zero[c] = even - odd;
            one[c] = even + odd + ay[c];
        }
    for (y = 0; y < 2; y++) {
        const float *x = t->t[y] + i * t->ldx;
        locusi_through(t, &mab1[LOCUSI_WK], x, n, t->tk[y] + i * t->ldh);
        locusi_through(t, &mab1[LOCUSI_WV], x, n, t->tv[y] + i * t->ldh);
        locusi_through(t, &mab2[LOCUSI_WQ], x, n, t->tq[y] + i * t->ldh);
    }
}

LOCUSI_FN size_t locusi_row_tasks(size_t rows) { return (rows + LOCUSI_ROW_TASK - 1) / LOCUSI_ROW_TASK; }

// The table, and the predictor's part that depends on the queries alone; a task for each 128 rows of both.
LOCUSI_FN void locusi_train_shared(locus_trainer *t, size_t worker, size_t item)
{
    const locusi_param *at = t->rest;
    const locusi_batch *b = t->batch;
    const size_t tasks = locusi_row_tasks(b->rows), i = (item < tasks ? item : item - tasks) * LOCUSI_ROW_TASK;
    const size_t left = (item < tasks ? b->rows : b->targets) - i, n = left < LOCUSI_ROW_TASK ? left : LOCUSI_ROW_TASK;
    (void)worker;
    if (item < tasks) {
        locusi_train_table(t, i, n);
        return;
    }
    locusi_affine(t, &at[LOCUSI_U], b->target_queries + i * t->ldq, n, t->u + i * t->ldx, t->theta + at[LOCUSI_U_B].at,
                  NULL, 0, 0);
    locusi_through(t, &at[LOCUSI_HU], t->u + i * t->ldx, n, t->hu + i * t->ldg);
}

// Group 0 <- the sum over the groups, in order; an item is a slice.
LOCUSI_FN void locusi_train_reduce(locus_trainer *t, size_t worker, size_t item)
{
    const size_t blocks = t->group_floats / 16, end = (item + 1) * blocks / t->workers * 16;
    size_t i, g, n;
    (void)worker;
    for (i = item * blocks / t->workers * 16; i < end; i += n) {
        n = end - i < 4096 ? end - i : 4096;
        for (g = 1; g < t->groups; g++) t->k->axpy(1.0f, t->group[g].gradient + i, t->group[0].gradient + i, n);
    }
}

// What is owed to the table's rows -> to layer 0's weights, and to A q + b and C q in dt.
LOCUSI_FN void locusi_train_table_back(const locus_trainer *t)
{
    const locus_net *s = &t->shape;
    const locusi_param *const rest = t->rest, *const mab1 = locusi_layer_at(t, 0) + LOCUSI_MAB1,
                              *const mab2 = mab1 + LOCUSI_MAB;
    const locusi_train_group *group = &t->group[0];
    const size_t rows = t->batch->rows;
    float *g = group->gradient;
    size_t l, i, c, y;
    for (l = 0; l < s->layers; l++) { // the inducing vectors and their gradients are parameters: dp floats apart
        const float *d = group->dinduce + l * s->rp * t->ldh;
        const locusi_param *at = locusi_layer_at(t, l);
        const size_t wq = at[LOCUSI_MAB1 + LOCUSI_WQ].at, induce = at[LOCUSI_I].at;
        locusi_product(t->k, d, 1, t->ldh, s->hp, s->r, t->theta + induce, s->dp, 16, s->dp, g + wq, s->dp, 1);
        locusi_product(t->k, d, t->ldh, 1, s->r, s->hp, t->backward + wq, 16, 16 * s->hp, s->dp, g + induce, s->dp, 1);
    }
    for (c = 0; c < s->hp; c++)
        t->k->axpy(group->dseed[c], t->theta + rest[LOCUSI_S].at, g + rest[LOCUSI_POOL + LOCUSI_WQ].at + c * s->dp,
                   s->dp);
    locusi_back(t, &rest[LOCUSI_POOL + LOCUSI_WQ], group->dseed, 1, g + rest[LOCUSI_S].at, 1);
    for (y = 0; y < 2; y++) {
        locusi_keys_backward(t, g, mab1, group->dk[y], group->dv[y], t->t[y], rows, group->dt[y], 1);
        locusi_owe(t, g, &mab2[LOCUSI_WQ], group->dq[y], t->t[y], rows);
        locusi_back(t, &mab2[LOCUSI_WQ], group->dq[y], rows, group->dt[y], 1);
    }
    t->k->add_rows(group->dt[1], t->ldx, rows, s->dp / 16, g + t->params[LOCUSI_AY].at);
    for (i = 0; i < rows * t->ldx; i++) {
        const float zero = group->dt[0][i], one = group->dt[1][i];
        group->dt[0][i] = zero + one;
        group->dt[1][i] = one - zero;
    }
    t->k->add_rows(group->dt[0], t->ldx, rows, s->dp / 16, g + t->params[LOCUSI_AB].at);
}

// What is owed to shared rows meets the shared weights. Three parts that touch different weights: the token map's two
// halves, the predictor.
LOCUSI_FN void locusi_train_shared_back(locus_trainer *t, size_t worker, size_t item)
{
    const locusi_param *at = t->rest;
    const locusi_batch *b = t->batch;
    const locusi_train_group *group = &t->group[0];
    float *g = group->gradient;
    (void)worker;
    if (item < 2) {
        locusi_owe(t, g, &t->params[item ? LOCUSI_C : LOCUSI_A], group->dt[item], b->queries, b->rows);
        return;
    }
    locusi_owe(t, g, &at[LOCUSI_HU], group->dhu, t->u, b->targets);
    locusi_back(t, &at[LOCUSI_HU], group->dhu, b->targets, group->du, 1);
    locusi_owe(t, g, &at[LOCUSI_U], group->du, b->target_queries, b->targets);
    t->k->add_rows(group->du, t->ldx, b->targets, t->shape.dp / 16, g + at[LOCUSI_U_B].at);
}

// A group's block for a step of these sizes; returns its floats.
LOCUSI_FN size_t locusi_group_lay(const locus_trainer *t, locusi_train_group *g, size_t rows, size_t targets)
{
    const locus_net *s = &t->shape;
    float *at = g->gradient + t->count;
    size_t y;
    g->dinduce = at, at += s->layers * s->rp * t->ldh;
    g->dseed = at, at += s->hp;
    for (y = 0; y < 2; y++) {
        g->dt[y] = at, at += rows * t->ldx;
        g->dq[y] = at, at += rows * t->ldh;
        g->dk[y] = at, at += rows * t->ldh;
        g->dv[y] = at, at += rows * t->ldh;
    }
    g->du = at, at += targets * t->ldx;
    g->dhu = at, at += targets * t->ldg;
    return (size_t)(at - g->gradient);
}

// One step: embeddings, logits, and with target scores the mean loss and its gradient in t->group[0].gradient.
// Returns the loss; t->bad is set where a number was not finite.
LOCUSI_FN double locusi_train_step(locus_trainer *t, const locusi_batch *b)
{
    const size_t work = b->models * b->rows;
    double loss = 0.0;
    size_t i;
    t->batch = b;
    t->bad = 0;
    t->groups = work < 4096 ? 2 : work < 32768 ? 4 : LOCUSI_GROUPS;
    if (t->groups > b->models) t->groups = b->models ? b->models : 1;
    for (i = 0; i < t->groups; i++) t->group_floats = locusi_group_lay(t, &t->group[i], b->rows, b->targets);
    locusi_train_spread(t, locusi_row_tasks(b->rows) + locusi_row_tasks(b->targets), locusi_train_shared);
    locusi_train_spread(t, t->groups, locusi_train_group_step);
    if (!b->target_scores) return 0.0;
    for (i = 0; i < t->groups; i++) loss += t->group[i].loss;
    locusi_train_spread(t, t->workers, locusi_train_reduce);
    locusi_train_table_back(t);
    locusi_train_spread(t, 3, locusi_train_shared_back);
    return loss;
}

// ---- memory of a step

LOCUSI_FN void locusi_kept_lay(const locus_trainer *t, locusi_work *w, locusi_kept *k, size_t rows, size_t keys)
{
    locusi_take_arrays(w, 2, rows, t->ldh, &k->queries, &k->heads);
    locusi_take_arrays(w, 2, keys, t->ldh, &k->keys, &k->values);
    locusi_take_arrays(w, 3, rows, t->ldx, &k->hat0, &k->hat1, &k->result);
    locusi_take_arrays(w, 2, rows, 1, &k->inverse0, &k->inverse1);
    k->attention = locusi_take_floats(w, t->most_rows, t->lds);
    k->hidden = locusi_take_floats(w, rows, t->ldf);
}

LOCUSI_FN void locusi_worker_lay(const locus_trainer *t, locusi_work *w, locusi_train_worker *to)
{
    const locus_net *s = &t->shape;
    const size_t n = t->most_rows, targets = t->most_targets, tile = locusi_max(LOCUSI_TILE, s->rp);
    size_t l;
    to->rows = (size_t *)locusi_take(w, n, sizeof(size_t));
    to->y = locusi_take_floats(w, n, 1);
    locusi_take_arrays(w, 2, n, t->ldx, &to->layer[0].x, &to->dx);
    for (l = 0; l < s->layers; l++) {
        locusi_kept_lay(t, w, &to->layer[l].mab1, s->rp, n);
        locusi_kept_lay(t, w, &to->layer[l].mab2, n, s->rp);
        to->layer[l + 1].x = to->layer[l].mab2.result;
    }
    locusi_kept_lay(t, w, &to->pool, 1, 1);
    locusi_take_arrays(w, 3, 1, t->ldx, &to->z, &to->dz, &to->dpooled);
    locusi_take_arrays(w, 3, t->headsp, t->ldx, &to->means, &to->dmeans, &to->dseed_keys);
    locusi_take_arrays(w, 3, locusi_max(n, LOCUSI_TILE), t->ldh, &to->dq, &to->dk, &to->dv);
    locusi_take_arrays(w, 2, s->rp, t->ldh, &to->dinduced_keys, &to->dinduced_values);
    locusi_take_arrays(w, 3, s->gp, s->dp, &to->scaled, &to->scaled_rows, &to->e);
    locusi_take_arrays(w, 2, s->gp, 1, &to->from_z, &to->dhz);
    locusi_take_arrays(w, 2, targets, t->ldg, &to->pre, &to->dpre);
    to->dinduced = locusi_take_floats(w, s->rp, t->ldx);
    to->dpool_scores = locusi_take_floats(w, n, t->headsp);
    to->o = locusi_take_floats(w, tile, t->ldx);
    to->dhidden = locusi_take_floats(w, tile, t->ldf);
    to->dheads = locusi_take_floats(w, tile, t->ldh);
    to->dattention = locusi_take_floats(w, tile, t->lds);
    to->dot = locusi_take_floats(w, locusi_max(s->heads * s->rp, t->headsp), 1);
    to->packed = locusi_take_floats(w, locusi_max(s->hp, s->dp), locusi_max(s->rp, t->headsp));
    to->dlogit = locusi_take_floats(w, targets, 1);
}

// Sizes, and places for steps of at most these. t->shape's q, d, heads, layers, r, g, and t->run are set. The memory is
// not touched, so that a work without any counts; once it is cleared it goes through locusi_train_start.
LOCUSI_FN void locusi_train_lay(locus_trainer *t, locusi_work *w, size_t most_rows, size_t most_targets)
{
    locus_net *s = &t->shape;
    size_t i, floats;
    s->dp = locusi_pad(s->d);
    s->dh = s->d / s->heads;
    s->dhp = locusi_pad(s->dh);
    s->hp = s->heads * s->dhp;
    s->rp = locusi_pad(s->r);
    s->f = 2 * s->d;
    s->fp = locusi_pad(s->f);
    s->gp = locusi_pad(s->g);
    t->qp = locusi_pad(s->q);
    t->headsp = locusi_pad(s->heads);
    t->ldq = t->qp + 16;
    t->ldx = s->dp + 16;
    t->ldh = s->hp + 16;
    t->ldf = s->fp + 16;
    t->ldg = s->gp + 16;
    t->lds = s->heads * s->rp + 16;
    t->most_rows = most_rows;
    t->most_targets = most_targets;
    t->workers = locusi_workers(t->run.parallel);
    if (t->workers > LOCUSI_GROUPS) t->workers = LOCUSI_GROUPS;
    t->k = locusi_kernels_for(t->run.isa);
    t->param_count = locusi_params_make(s, NULL, &t->encoder_count, &t->count);
    t->params = (locusi_param *)locusi_take(w, t->param_count, sizeof(locusi_param));
    t->state = locusi_take_floats(w, LOCUSI_STATES, t->count);
    locusi_take_arrays(w, 2, t->count, 1, &t->forward, &t->backward);
    t->live = locusi_take_floats(w, s->dp, 1);
    t->no_column = locusi_take_floats(w, s->rp, 1);
    t->induce_queries = locusi_take_floats(w, s->layers * s->rp, t->ldh);
    t->packed_induce = locusi_take_floats(w, s->layers * s->rp, s->hp);
    t->seed_queries = locusi_take_floats(w, s->hp, 1);
    t->packed_seed = locusi_take_floats(w, s->dp, t->headsp);
    t->seed_keys = locusi_take_floats(w, t->headsp, t->ldx);
    for (i = 0; i < 2; i++) {
        t->t[i] = locusi_take_floats(w, most_rows, t->ldx);
        locusi_take_arrays(w, 3, most_rows, t->ldh, &t->tq[i], &t->tk[i], &t->tv[i]);
    }
    t->u = locusi_take_floats(w, most_targets, t->ldx);
    t->hu = locusi_take_floats(w, most_targets, t->ldg);
    for (i = 0; i < t->workers; i++) locusi_worker_lay(t, w, &t->worker[i]);
    floats = t->count + s->layers * s->rp * t->ldh + s->hp + most_rows * 2 * (t->ldx + 3 * t->ldh) +
             most_targets * (t->ldx + t->ldg);
    t->sums = locusi_take_floats(w, LOCUSI_GROUPS, floats);
    t->sums_bytes = LOCUSI_GROUPS * floats * sizeof(float);
    for (i = 0; t->sums && i < LOCUSI_GROUPS; i++) t->group[i].gradient = t->sums + i * floats;
}

LOCUSI_FN void locusi_train_start(locus_trainer *t)
{
    size_t i;
    t->theta = t->state;
    t->m = t->theta + t->count;
    t->v = t->m + t->count;
    t->average = t->v + t->count;
    t->best = t->average + t->count;
    t->rest = t->params + LOCUSI_LAYERS + t->shape.layers * LOCUSI_LAYER;
    locusi_params_make(&t->shape, t->params, &t->encoder_count, &t->count);
    for (i = 0; i < t->shape.d; i++) t->live[i] = 1.0f;
    for (i = t->shape.r; i < t->shape.rp; i++) t->no_column[i] = -1e30f;
}

// ---- random numbers: counter-based, so that a draw depends on (seed, what for, epoch, index) alone
//
// bits = mix(mix(mix(seed + a stream) + b epoch) + c index) with mix as for hashes (see >>net) and the odd constants
// below. Uniform: the upper 53 bits. Normal: Box and Muller, a pair from the two halves.

enum { LOCUSI_STREAM_WEIGHTS = 1, LOCUSI_STREAM_NOISE, LOCUSI_STREAM_TARGET_NOISE, LOCUSI_STREAM_SIZE };
enum { LOCUSI_STREAM_SUBSET = 5, LOCUSI_STREAM_TARGETS, LOCUSI_STREAM_DROPOUT, LOCUSI_STREAM_VIRTUAL };
enum { LOCUSI_STREAM_ANSWERS = 9, LOCUSI_STREAM_UNLABELLED };

LOCUSI_FN uint64_t locusi_random(uint64_t seed, unsigned stream, size_t epoch, uint64_t index)
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

// order <- a random permutation of [0, n)
LOCUSI_FN void locusi_shuffle(uint64_t seed, unsigned stream, size_t epoch, size_t *order, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) order[i] = i;
    for (i = 0; i + 1 < n; i++) {
        const size_t at = i + (size_t)(locusi_random(seed, stream, epoch, i) % (n - i)), swap = order[at];
        order[at] = order[i];
        order[i] = swap;
    }
}

// ---- the trainer's options and data

// The options that are numbers or counts, in one table: what 0 stands for, and the most that may be. In this order they
// are part of what a state is bound to.
typedef struct locusi_option {
    const char *name;
    double *number; // a negative one means 0
    size_t *count;
    double best, paper, most;
} locusi_option;

enum { LOCUSI_OPTIONS = 20 };

LOCUSI_FN void locusi_option_table(locus_train_opts *o, size_t n, locusi_option table[LOCUSI_OPTIONS])
{
    const size_t half = n / 2;
    const double all = (double)n, targets = n < 512 ? 256.0 : n < 2048 ? (double)half : 1024.0;
    const locusi_option list[LOCUSI_OPTIONS] = {{"average", &o->average, NULL, 0.95, 0.0, 0.999999},
                                                {"encoder_rate", &o->encoder_rate, NULL, 1e-3, 2e-4, 1e30},
                                                {"predictor_rate", &o->predictor_rate, NULL, 2e-3, 8e-4, 1e30},
                                                {"weight_decay", &o->weight_decay, NULL, 0.05, 0.05, 1e30},
                                                {"clip", &o->clip, NULL, 1.0, 1.0, 1e30},
                                                {"dropout", &o->dropout, NULL, 0.1, 0.1, 0.999999},
                                                {"noise", &o->noise, NULL, 0.05, 0.10, 1e30},
                                                {"skew", &o->skew, NULL, 0.3, 0.0, 1.0},
                                                {"seen", &o->seen, NULL, 0.25, 1.0, 1.0},
                                                {"z_dim", NULL, &o->z_dim, 128.0, 128.0, 4096.0},
                                                {"n_heads", NULL, &o->n_heads, 4.0, 4.0, 4096.0},
                                                {"n_layers", NULL, &o->n_layers, 1.0, 2.0, LOCUSI_MAX_LAYERS},
                                                {"m_induce", NULL, &o->m_induce, 16.0, 64.0, 4096.0},
                                                {"decoder_hidden", NULL, &o->decoder_hidden, 64.0, 64.0, 4096.0},
                                                {"epochs", NULL, &o->epochs, n < 128 ? 150.0 : 300.0, 2500.0, 1e30},
                                                {"evaluate_every", NULL, &o->evaluate_every, 20.0, 1.0, 1e30},
                                                {"subset_min", NULL, &o->subset_min, 16.0, all, 1e30},
                                                {"subset_max", NULL, &o->subset_max, 1024.0, all, 1e30},
                                                {"targets", NULL, &o->targets, targets, all, 1e30},
                                                {"virtual_models", NULL, &o->virtual_models, 26.0, 0.0, 1e30}};
    memcpy(table, list, sizeof list);
}

// What 0 stands for; NaN stays, to be refused.
LOCUSI_FN locus_status locusi_train_resolve(locus_train_opts *o, const locus_train_data *data, locus_error *err)
{
    const int paper = o->recipe == LOCUS_RECIPE_PAPER;
    const size_t n = data->train_count;
    locusi_option table[LOCUSI_OPTIONS];
    size_t i;
    if ((unsigned)o->recipe > LOCUS_RECIPE_PAPER || (unsigned)o->keep > LOCUS_KEEP_LAST)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "recipe, keep", "one of the enumeration", "%d, %d", (int)o->recipe,
                           (int)o->keep);
    if (o->virtual_models == 0 && paper) o->virtual_models = SIZE_MAX;
    locusi_option_table(o, n, table);
    for (i = 0; i < LOCUSI_OPTIONS; i++) {
        const double recipe = paper ? table[i].paper : table[i].best;
        if (table[i].number) {
            double *const x = table[i].number;
            if (locusi_within(*x, 0.0, 0.0)) *x = recipe;
            else if (locusi_within(*x, -DBL_MAX, 0.0)) *x = 0.0;
            if (!locusi_within(*x, 0.0, table[i].most))
                return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "at most %f", "%f", table[i].name, table[i].most, *x);
        } else {
            size_t *const x = table[i].count;
            if (*x == 0) *x = (size_t)recipe;
            if ((double)*x > table[i].most)
                return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "at most %f", "%z", table[i].name, table[i].most, *x);
        }
    }
    if (o->z_dim % o->n_heads)
        return locusi_fail(err, LOCUS_ERR_METADATA, "n_heads", "a divisor of z_dim = %z", "%z", o->z_dim, o->n_heads);
    if (o->virtual_models == SIZE_MAX) o->virtual_models = 0;
    if (o->patience == 0) o->patience = paper ? 500 : SIZE_MAX;
    if (o->keep == LOCUS_KEEP_DEFAULT) o->keep = paper ? LOCUS_KEEP_HIT1 : LOCUS_KEEP_BCE;
    if (data->validation_count == 0) o->keep = LOCUS_KEEP_LAST;
    if (o->warmup == 0) o->warmup = paper ? -1 : 10;
    if (!paper && o->subset_max > (3 * n + 3) / 4) o->subset_max = (3 * n + 3) / 4;
    if (o->subset_max > n) o->subset_max = n;
    if (o->subset_min > o->subset_max) o->subset_min = o->subset_max;
    if (o->targets > n) o->targets = n;
    o->separate_noise = o->separate_noise ? o->separate_noise > 0 : paper;
    if (o->parts == 0) o->parts = 1;
    if (o->part >= o->parts)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "part", "below parts = %z", "%z", o->parts, o->part);
    return LOCUS_OK;
}

LOCUSI_FN locus_status locusi_train_check(const locus_net *shape, const locus_train_data *d, locus_error *err)
{
    const locus_queries *q = &d->evals.queries;
    const size_t stride = q->stride ? q->stride : q->dim;
    const size_t *const list[3] = {d->train, d->validation, d->unlabelled};
    const size_t count[3] = {d->train_count, d->validation_count, d->unlabelled ? d->unlabelled_count : 0};
    const char *const name[3] = {"train", "validation", "unlabelled"};
    size_t k, i, m, c;
    locus_status status;
    float y;
    if (q->dim == 0 || q->dim > 1u << 16)
        return locusi_fail(err, LOCUS_ERR_QUERY_DIM, "queries.dim", "1 to 65536", "%z", q->dim);
    if ((status = locusi_check_table(&d->evals.scores, 0, q->count, err)) ||
        (status = locusi_check_queries(shape, q, err)))
        return status;
    if (!d->train || d->train_count == 0)
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "train", "at least one row", "none");
    for (k = 0; k < 3; k++) {
        if (count[k] && !list[k]) return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s", "a list", "NULL", name[k]);
        for (i = 0; i < count[k]; i++) {
            const size_t row = list[k][i];
            if (row >= q->count)
                return locusi_fail(err, LOCUS_ERR_ARGUMENT, "%s[%z]", "below %z", "%z", name[k], i, q->count, row);
            for (c = 0; c < q->dim; c++)
                if (!locusi_within((double)q->encodings[row * stride + c], -1e6, 1e6))
                    return locusi_bad_encoding(q->encodings + row * stride, q->dim, row, err);
        }
    }
    for (m = 0; m < d->evals.scores.models; m++) {
        size_t used = 0;
        for (k = 0; k < 2; k++)
            for (i = 0; i < count[k]; i++) {
                if (!locusi_score(&d->evals, m, list[k][i], &y)) continue;
                used += k == 0;
                if (!(y >= 0.0f && y <= 1.0f))
                    return locusi_fail(err, LOCUS_ERR_SCORE, "scores[%z, %z]", "0 to 1, or missing", "%f", m,
                                       list[k][i], (double)y);
            }
        if (!used) return locusi_fail(err, LOCUS_ERR_EMPTY_SET, "model %z", "at least one training score", "none", m);
    }
    if (d->query_encoder && !locusi_valid_name(d->query_encoder, 96))
        return locusi_fail(err, LOCUS_ERR_ARGUMENT, "query_encoder", "at most 95 bytes of UTF-8", "another");
    if (d->text) {
        char own[LOCUS_TEXT_NAME_BYTES];
        if ((status = locus_text_name(d->text, own, err))) return status;
        if (d->text->dim != q->dim)
            return locusi_fail(err, LOCUS_ERR_QUERY_DIM, "text->dim", "%z, the encodings' length", "%z", q->dim,
                               d->text->dim);
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
    const locus_net *s = &t->shape;
    size_t i, r, c;
    for (i = 0; i < t->param_count; i++) {
        const locusi_param *p = &t->params[i];
        locusi_spec spec;
        char kind; // .weight, .bias, I, S
        double bound;
        locusi_spec_at(s, p->tensor, "last", &spec);
        kind = spec.name[strlen(spec.name) - 1];
        if (kind == 's') locusi_spec_at(s, p->tensor - 1, "last", &spec); // the weight before it
        bound = kind == 'I' ? sqrt(6.0 / (((double)s->r + 1.0) * (double)s->d)) : 1.0 / sqrt((double)spec.shape[1]);
        for (r = 0; r < p->rows; r++)
            for (c = 0; c < p->columns; c++) {
                const uint64_t bits =
                    locusi_random(t->o.seed, LOCUSI_STREAM_WEIGHTS, p->tensor, locusi_param_in(p, r, c));
                float *to = t->theta + locusi_param_at(s, p, r, c), unused;
                if (spec.rank == 1) *to = kind == 't' ? 1.0f : 0.0f; // a layer norm
                else if (kind == 'S') locusi_normal(bits, to, &unused);
                else *to = (float)((2.0 * locusi_uniform(bits) - 1.0) * bound);
            }
    }
    memcpy(t->average, t->theta, t->count * sizeof(float));
    memcpy(t->best, t->theta, t->count * sizeof(float));
}

// Places for all that a trainer keeps; the memory is not touched.
LOCUSI_FN void locusi_trainer_lay(locus_trainer *t, locusi_work *w)
{
    const size_t n = t->n, models = t->models, all = models + t->virtuals, rows = n + t->data.unlabelled_count;
    const size_t targets = t->o.targets + t->unlabelled;
    locusi_train_lay(t, w, n, locusi_max(locusi_max(targets, t->validation), 1));
    locusi_take_arrays(w, 2, n, t->ldq, &t->queries, &t->step_queries);
    locusi_take_arrays(w, 3, t->validation, models, &t->validation_scores, &t->logits, &t->told);
    t->validation_queries = locusi_take_floats(w, t->validation, t->ldq);
    t->scores = locusi_take_floats(w, models, n);
    t->target_queries = locusi_take_floats(w, targets, t->ldq);
    t->step_scores = locusi_take_floats(w, all, n);
    t->target_scores = locusi_take_floats(w, all, targets);
    t->model_weight = locusi_take_floats(w, all, 1);
    t->model_id = (size_t *)locusi_take(w, all, sizeof(size_t));
    t->targets = (size_t *)locusi_take(w, targets, sizeof(size_t));
    t->order = (size_t *)locusi_take(w, n, sizeof(size_t));
    t->keys = (locusi_keyed *)locusi_take(w, n, sizeof(locusi_keyed));
    t->z = locusi_take_floats(w, models, t->shape.dp);
    t->metrics_bytes = 16 * t->validation * models + 32 * (t->validation + models) + 1024;
    t->metrics_work = locusi_take(w, t->metrics_bytes, 1);
    t->text = (unsigned char *)locusi_take(w, t->data.text ? t->data.text->rows : 0, 6);
    if (!t->virtuals) return;
    t->difficulty = locusi_take_floats(w, rows, 1);
    t->item = (double *)locusi_take(w, n, sizeof(double));
    t->own = locusi_take_floats(w, models, rows);
}

LOCUSI_FN const float *locusi_data_row(const locus_trainer *t, size_t row)
{
    const locus_queries *q = &t->data.evals.queries;
    return q->encodings + row * (q->stride ? q->stride : q->dim);
}

// How strong a virtual model's own differences are at most, in deviations of the pool's: strong ones make the encoder
// tell specialists apart.
#define LOCUSI_VIRTUAL_STRENGTH 10.0

// The item-response model that virtual models are drawn from: the recall's fit, evaluated on every row that a step can
// ask about. And what the recall says of the validation queries.
LOCUSI_FN locus_status locusi_train_response(locus_trainer *t, const locus_run *run, locus_error *err)
{
    const size_t n = t->n, extra = t->data.unlabelled_count, all = n + extra, q = t->shape.q, models = t->models;
    double sum = 0.0, square = 0.0, squares = 0.0;
    locusi_recall memory;
    locusi_recall_fit fit;
    locusi_work w;
    locus_evals evals;
    locus_queries others;
    float *rows, *similar, *x, *base;
    size_t i, j, l, p;
    locus_status status;
    memset(&memory, 0, sizeof memory);
    memset(&fit, 0, sizeof fit);
    memset(&evals, 0, sizeof evals);
    memory.q = q;
    fit.bare = 1;
    locusi_work_begin(&w, run);
    rows = locusi_take_floats(&w, all, q);
    similar = locusi_take_floats(&w, all, LOCUSI_RECALL_LANDMARKS);
    x = locusi_take_floats(&w, all, LOCUSI_RECALL_RANK);
    status = locusi_work_short(&w, err);
    for (i = 0; i < all && !status; i++)
        memcpy(rows + i * q, locusi_data_row(t, i < n ? t->data.train[i] : t->data.unlabelled[i - n]),
               q * sizeof(float));
    evals.queries.encodings = rows;
    evals.queries.count = n;
    evals.queries.dim = q;
    evals.scores.models = models;
    evals.scores.f32 = t->scores;
    others = evals.queries;
    others.count = extra;
    if (!status) {
        others.encodings = rows + n * q;
        status = locusi_recall_learn(&memory, t->k, &evals, extra ? &others : NULL, &fit, &w, err);
    }
    if (status) {
        locusi_work_end(&w);
        return status;
    }
    base = fit.base;
    p = memory.landmarks;
    memcpy(t->item, fit.item, n * sizeof(double));
    locusi_recall_kernels(&memory, t->k, rows, q, all, x, similar);
    for (i = 0; i < all; i++) {
        t->difficulty[i] = locusi_dot(memory.shared, similar + i * p, p);
        for (j = 0; j < models; j++) t->own[j * all + i] = locusi_dot(fit.own + j * p, similar + i * p, p);
    }
    for (i = 0; i < t->validation; i++) {
        locusi_recall_kernels(&memory, t->k, locusi_data_row(t, t->data.validation[i]), q, 1, x, similar);
        for (j = 0; j < models; j++) {
            float chance = base[j];
            for (l = 0; l < p; l++) chance += fit.rows[j * p + l] * similar[l];
            t->told[i * models + j] = locusi_chance_logit(chance);
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
    locusi_work_end(&w);
    return LOCUS_OK;
}

// to [count, qp] <- scaled encodings of rows; into the data's hash
LOCUSI_FN void locusi_train_queries(locus_trainer *t, const size_t *rows, size_t count, float *to)
{
    size_t i, j;
    for (i = 0; i < count; i++)
        for (j = 0; j < t->shape.q; j++) {
            const float x = locusi_data_row(t, rows[i])[j];
            if (to) to[i * t->ldq + j] = x * t->scale;
            t->data_hash = locusi_mix(t->data_hash ^ locusi_f32_bits(x));
        }
}

// to [count] <- a model's scores of rows; into the data's hash. Returns how many are right.
LOCUSI_FN size_t locusi_train_scores(locus_trainer *t, size_t model, const size_t *rows, size_t count, float *to)
{
    size_t i, right = 0;
    for (i = 0; i < count; i++) {
        if (!locusi_score(&t->data.evals, model, rows[i], &to[i])) to[i] = locusi_nan();
        right += to[i] > 0.5f;
        t->data_hash = locusi_mix(t->data_hash ^ locusi_f32_bits(to[i]));
    }
    return right;
}

LOCUSI_FN void locusi_train_copy(locus_trainer *t)
{
    const locus_train_data *data = &t->data;
    double square = 0.0;
    size_t i, j, m, most = 0;
    for (i = 0; i < t->n; i++)
        for (j = 0; j < t->shape.q; j++) {
            const double x = (double)locusi_data_row(t, data->train[i])[j];
            square += x * x;
        }
    // PAPER takes the encodings as they are; BEST brings their entries to unit mean square, which the saved weights
    // undo
    t->scale = t->o.recipe == LOCUS_RECIPE_PAPER || square <= 0.0
                   ? 1.0f
                   : (float)sqrt((double)t->n * (double)t->shape.q / square);
    if (!(t->scale < LOCUSI_LARGEST_SCALE)) t->scale = LOCUSI_LARGEST_SCALE;
    t->data_hash = locusi_mix(locusi_mix(t->models + t->n) ^ t->validation);
    locusi_train_queries(t, data->train, t->n, t->queries);
    locusi_train_queries(t, data->validation, t->validation, t->validation_queries);
    locusi_train_queries(t, data->unlabelled, data->unlabelled_count, NULL);
    for (m = 0; m < t->models; m++) {
        size_t right;
        locusi_train_scores(t, m, data->train, t->n, t->scores + m * t->n);
        right = locusi_train_scores(t, m, data->validation, t->validation, t->validation_scores + m * t->validation);
        if (right > most) most = right, t->leader = m;
    }
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
                                          const locus_train_opts *opts, const locus_run *run, locus_error *err)
{
    locus_trainer plan, *t;
    locus_net *s = &plan.shape;
    locus_run place, behind;
    locusi_work w;
    size_t before;
    locus_status status;
    if (!out || !data) return locusi_null(err, out ? "data" : "out");
    *out = NULL;
    memset(&plan, 0, sizeof plan);
    memset(&place, 0, sizeof place);
    if (run) place = plan.run = *run;
    if (opts) plan.o = *opts;
    plan.data = *data;
    if (!data->unlabelled) plan.data.unlabelled_count = 0;
    s->q = data->evals.queries.dim;
    if ((status = locusi_train_check(s, data, err)) || (status = locusi_isa_choose(&plan.run.isa, err)) ||
        (status = locusi_train_resolve(&plan.o, data, err)))
        return status;
    s->d = plan.o.z_dim;
    s->heads = plan.o.n_heads;
    s->layers = plan.o.n_layers;
    s->r = plan.o.m_induce;
    s->g = plan.o.decoder_hidden;
    plan.run.memory = NULL;
    plan.n = data->train_count;
    plan.models = data->evals.scores.models;
    plan.validation = data->validation_count;
    plan.virtuals = plan.o.virtual_models;
    plan.unlabelled = plan.virtuals ? 256 : 0;
    if (!place.memory) { // one block, of large pages: all is laid out twice, first to count
        memset(&w, 0, sizeof w);
        w.base = (unsigned char *)&plan;
        locusi_take(&w, 1, sizeof plan);
        locusi_trainer_lay(&plan, &w);
        if (w.used > SIZE_MAX - LOCUSI_ALIGN) return locusi_work_short(&w, err);
        place.memory_bytes = w.used + LOCUSI_ALIGN;
        place.memory = plan.owned = LOCUS_MALLOC(place.memory_bytes);
        if (!plan.owned) return locusi_work_short(&w, err);
        locusi_large_pages(plan.owned, place.memory_bytes);
    }
    locusi_work_begin(&w, &place);
    before = w.used;
    t = (locus_trainer *)locusi_take(&w, 1, sizeof plan);
    locusi_trainer_lay(&plan, &w);
    if ((status = locusi_work_short(&w, err))) return status;
    memset(t, 0, w.used - before);
    *t = plan;
    locusi_train_start(t);
    locusi_train_copy(t);
    if (data->text) locus_text_name(data->text, t->query_encoder, NULL);
    else if (data->query_encoder) memcpy(t->query_encoder, data->query_encoder, strlen(data->query_encoder) + 1);
    t->data.query_encoder = t->query_encoder;
    behind = locusi_work_rest(&w, NULL);
    if (t->virtuals && (status = locusi_train_response(t, t->owned ? NULL : &behind, err))) {
        status = t->owned ? status : locusi_work_within(&w, status, err);
        locus_train_destroy(t);
        return status;
    }
    locusi_train_initial(t);
    *out = t;
    return LOCUS_OK;
}

LOCUS_API void locus_train_destroy(locus_trainer *trainer)
{
    if (trainer && trainer->owned) LOCUS_FREE(trainer->owned);
}

LOCUS_API locus_train_opts locus_train_options(const locus_trainer *trainer)
{
    locus_train_opts none;
    memset(&none, 0, sizeof none);
    return trainer ? trainer->o : none;
}

// ---- what a step sees

LOCUSI_FN uint64_t locusi_train_draw(const locus_trainer *t, unsigned stream, uint64_t index) // this epoch's
{
    return locusi_random(t->o.seed, stream, t->epoch, index);
}

// to [count, ldq] <- a share of the rows' encodings, plus noise
LOCUSI_FN void locusi_train_take(const locus_trainer *t, size_t share, const size_t *rows, size_t count,
                                 unsigned stream, float *to)
{
    const size_t q = t->shape.q, end = (share + 1) * count / t->workers;
    size_t i, j;
    for (i = share * count / t->workers; i < end; i++) {
        float *x = to + i * t->ldq;
        if (rows[i] < t->n) {
            memcpy(x, t->queries + rows[i] * t->ldq, t->ldq * sizeof(float));
        } else {
            const float *from = locusi_data_row(t, t->data.unlabelled[rows[i] - t->n]);
            for (j = 0; j < q; j++) x[j] = from[j] * t->scale;
            for (; j < t->ldq; j++) x[j] = 0.0f;
        }
        for (j = 0; t->deviation > 0.0f && j < q; j += 2) {
            float a, b;
            locusi_normal(locusi_train_draw(t, stream, t->salt + i * (t->qp / 2) + j / 2), &a, &b);
            x[j] += t->deviation * a;
            if (j + 1 < q) x[j + 1] += t->deviation * b;
        }
    }
}

LOCUSI_FN void locusi_train_noise(locus_trainer *t, size_t worker, size_t item)
{
    (void)worker;
    locusi_train_take(t, item, t->order, t->batch->rows, LOCUSI_STREAM_NOISE, t->step_queries);
    locusi_train_take(t, item, t->targets, t->batch->targets, LOCUSI_STREAM_TARGET_NOISE, t->target_queries);
}

// t->order <- the step's subset, whose size it returns, then the rows that are not in it.
LOCUSI_FN size_t locusi_train_subset(locus_trainer *t)
{
    const locus_train_opts *o = &t->o;
    const double low = log((double)o->subset_min), high = log((double)o->subset_max);
    const size_t n = t->n, q = t->shape.q;
    const double drawn = locusi_uniform(locusi_train_draw(t, LOCUSI_STREAM_SIZE, 0));
    size_t i, j, count = (size_t)(exp(low + (high - low) * drawn) + 0.5);
    if (count < 1) count = 1;
    for (i = 0; i < n; i++) t->order[i] = i;
    if (count >= n) return n;
    if (locusi_uniform(locusi_train_draw(t, LOCUSI_STREAM_SIZE, 1)) < o->skew) {
        // Crowd around a query: the largest of (sharpness x cosine + Gumbel noise), which draws without replacement
        const float *centre = t->queries + locusi_train_draw(t, LOCUSI_STREAM_SIZE, 2) % n * t->ldq;
        const double sharp = 2.0 + 8.0 * locusi_uniform(locusi_train_draw(t, LOCUSI_STREAM_SIZE, 3));
        const double norm = sqrt((double)t->k->square(centre, q)) + 1e-30;
        for (i = 0; i < n; i++) {
            const float *row = t->queries + i * t->ldq;
            double dot = 0.0, u = locusi_uniform(locusi_train_draw(t, LOCUSI_STREAM_SUBSET, n + i));
            for (j = 0; j < q; j++) dot += (double)row[j] * (double)centre[j];
            dot /= norm * (sqrt((double)t->k->square(row, q)) + 1e-30);
            t->keys[i].key = sharp * dot - log(-log((u + 1e-18) * (1.0 - 1e-15)));
            t->keys[i].index = i;
        }
        locusi_sort(t->keys, n, sizeof *t->keys, locusi_falling);
        for (i = 0; i < n; i++) t->order[i] = t->keys[i].index;
    } else {
        locusi_shuffle(o->seed, LOCUSI_STREAM_SUBSET, t->epoch, t->order, n);
    }
    return count;
}

// t->targets <- real models' targets, whose number it returns, a share from the subset of `rows`, the others from the
// other rows; then the virtual models' own, from all encodings at hand.
LOCUSI_FN size_t locusi_train_targets(locus_trainer *t, size_t rows)
{
    const size_t n = t->n, most = t->o.targets, extra = t->data.unlabelled_count;
    const uint64_t bits = locusi_train_draw(t, LOCUSI_STREAM_TARGETS, 0);
    const size_t from = (size_t)(bits % rows), other = n > rows ? (size_t)((bits >> 32) % (n - rows)) : 0;
    size_t seen = (size_t)(t->o.seen * (double)most + 0.5), real = most, i;
    if (seen > rows) seen = rows;
    if (real - seen > n - rows) real = n - rows + seen;
    if (real == 0) real = seen = rows < most ? rows : most;
    for (i = 0; i < seen; i++) t->targets[i] = t->order[(from + i) % rows]; // the order is random already
    for (; i < real; i++) t->targets[i] = t->order[rows + (other + i - seen) % (n - rows)];
    for (; i < real + t->unlabelled; i++) {
        const uint64_t drawn = locusi_train_draw(t, LOCUSI_STREAM_UNLABELLED, i);
        t->targets[i] = extra ? n + (size_t)(drawn % extra) : (size_t)(drawn % n);
    }
    return real;
}

// The scores of this part's real models in the subset and of its targets; returns the models' number. *pairs: of model
// and target; every part weights them by the number of all parts' pairs.
LOCUSI_FN size_t locusi_train_real(locus_trainer *t, size_t rows, size_t real, size_t targets, double *pairs)
{
    size_t i, m, kept = 0;
    double all = 0.0;
    *pairs = 0.0;
    for (m = 0; m < t->models; m++) {
        const float *score = t->scores + m * t->n;
        const int own = m % t->o.parts == t->o.part;
        int empty; // nothing of this model in the subset: no targets either
        for (i = 0; i < rows && locusi_is_nan(score[t->order[i]]); i++) {}
        empty = i == rows;
        for (i = 0; i < targets; i++) {
            const float y = i < real && !empty ? score[t->targets[i]] : locusi_nan();
            if (own) t->target_scores[kept * targets + i] = y;
            if (!locusi_is_nan(y)) all += 1.0, *pairs += own;
        }
        if (!own) continue;
        for (i = 0; i < rows; i++) t->step_scores[kept * rows + i] = score[t->order[i]];
        t->model_id[kept++] = m;
    }
    for (m = 0; m < kept; m++) t->model_weight[m] = (float)(1.0 / (all > 1.0 ? all : 1.0));
    return kept;
}

// Virtual models: ability and discrimination drawn around the pool's, their own differences a random mixture of the
// real models' differences. Answers on the subset are drawn, with a share of each query's oddity; targets are the
// probabilities themselves, on rows drawn from all encodings at hand. This part's stand behind the `kept` real models;
// returns the number of both.
LOCUSI_FN size_t locusi_train_virtual(locus_trainer *t, size_t kept, size_t rows, size_t real, size_t targets)
{
    const size_t models = t->models, all = t->n + t->data.unlabelled_count;
    const double unit = 1.0 / locusi_deviation(1.0 / (1.0 + exp(-t->ability)));
    size_t v, i, m;
    for (v = t->o.part; v < t->virtuals; v += t->o.parts, kept++) {
        float *answers = t->step_scores + kept * rows, *wanted = t->target_scores + kept * targets;
        const uint64_t base = (uint64_t)v << 32;
        const double strength = t->strength * locusi_uniform(locusi_train_draw(t, LOCUSI_STREAM_VIRTUAL, base));
        const double odd = locusi_uniform(locusi_train_draw(t, LOCUSI_STREAM_VIRTUAL, base + 1));
        float a, b, unused;
        double ability, slope;
        t->model_id[kept] = models + v;
        t->model_weight[kept] = (float)(1.0 / ((double)t->virtuals * (double)t->unlabelled));
        locusi_normal(locusi_train_draw(t, LOCUSI_STREAM_VIRTUAL, base + 2), &a, &b);
        ability = t->ability + 1.2 * t->spread * (double)a;
        slope = exp(0.3 * (double)b);
        for (i = 0; i < targets; i++) wanted[i] = 0.0f;
        for (i = 0; i < rows; i++) answers[i] = 0.0f;
        for (m = 0; m < models; m++) {
            const uint64_t bits = locusi_train_draw(t, LOCUSI_STREAM_VIRTUAL, base + 16 + 2 * m);
            float g;
            locusi_normal(bits, &g, &unused);
            if (v % 2 == 0) { // every second: few real directions, but strong
                if (locusi_uniform(locusi_train_draw(t, LOCUSI_STREAM_VIRTUAL, base + 17 + 2 * m)) * (double)models >
                    3.0)
                    continue;
                g *= sqrtf((float)models / 3.0f);
            }
            g *= (float)strength;
            for (i = 0; i < rows; i++) answers[i] += g * t->own[m * all + t->order[i]];
            for (i = real; i < targets; i++) wanted[i] += g * t->own[m * all + t->targets[i]];
        }
        for (i = 0; i < rows; i++) {
            const size_t row = t->order[i];
            const double s = slope * ((double)t->difficulty[row] + odd * t->item[row]) + (double)answers[i];
            const double p = locus_probability(ability + unit * s);
            answers[i] = locusi_uniform(locusi_train_draw(t, LOCUSI_STREAM_ANSWERS, base + i)) < p ? 1.0f : 0.0f;
        }
        for (i = 0; i < targets; i++) {
            const double s = slope * (double)t->difficulty[t->targets[i]] + (double)wanted[i];
            wanted[i] = i < real ? locusi_nan() : (float)locus_probability(ability + unit * s);
        }
    }
    return kept;
}

// Noise: BEST constant; PAPER from 0.10 down a cosine to half of it over the first 500 epochs.
LOCUSI_FN float locusi_train_deviation(const locus_trainer *t)
{
    const double at = t->epoch < 500 ? (double)t->epoch / 500.0 : 1.0;
    if (t->o.recipe == LOCUS_RECIPE_PAPER)
        return (float)(t->o.noise * (0.5 + 0.25 * (1.0 + cos(3.14159265358979323846 * at))));
    // an entry of the scaled encodings is 1 in the mean, not 1/sqrt(q_dim)
    return (float)(t->o.noise * sqrt((double)t->shape.q));
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

// One AdamW step; `step` counts from 1.
LOCUSI_FN void locusi_train_update(const locus_trainer *t, const double rate[2], size_t step, double norm)
{
    const size_t at[3] = {0, t->encoder_count, t->count};
    const double clip = t->o.clip;
    const float *gradient = t->group[0].gradient;
    size_t i;
    for (i = 0; i < 2; i++) {
        locusi_adam a;
        a.beta1 = 0.9f;
        a.beta2 = 0.999f;
        a.epsilon = 1e-8f;
        a.clip = clip > 0.0 && norm + 1e-6 > clip ? (float)(clip / (norm + 1e-6)) : 1.0f;
        a.keep = (float)(1.0 - rate[i] * t->o.weight_decay);
        a.step = (float)(rate[i] / (1.0 - pow(0.9, (double)step)));
        a.root = (float)(1.0 / sqrt(1.0 - pow(0.999, (double)step)));
        t->k->adam(&a, t->theta + at[i], gradient + at[i], t->m + at[i], t->v + at[i], at[i + 1] - at[i]);
    }
}

// This part's share of the step's loss; that of its gradient is left in group[0].gradient.
LOCUSI_FN double locusi_train_loss(locus_trainer *t, double *pairs)
{
    const size_t rows = locusi_train_subset(t), real = locusi_train_targets(t, rows), targets = real + t->unlabelled;
    const size_t kept = locusi_train_real(t, rows, real, targets, pairs);
    const size_t models = t->virtuals ? locusi_train_virtual(t, kept, rows, real, targets) : kept;
    const size_t each = t->o.separate_noise ? models > 0 : models; // models of a step: those that see the same noise
    size_t m = 0;
    double loss = 0.0;
    int bad = 0;
    locusi_batch b;
    memset(&b, 0, sizeof b);
    t->batch = &b;
    t->deviation = locusi_train_deviation(t);
    b.models = each;
    b.rows = rows;
    b.targets = targets;
    b.queries = t->step_queries;
    b.target_queries = t->target_queries;
    if (t->o.dropout > 0.0) b.dropout_key = locusi_train_draw(t, LOCUSI_STREAM_DROPOUT, 0) | 1;
    do {                                                                     // a step without a model gives zeros
        b.silent = m >= kept ? each : m + each > kept ? m + each - kept : 0; // virtual ones
        b.scores = t->step_scores + m * rows;
        b.target_scores = t->target_scores + m * targets;
        b.model_weight = t->model_weight + m;
        b.model_id = t->model_id + m;
        b.add = m > 0;
        t->salt = t->o.separate_noise && models ? (uint64_t)(t->model_id[m] + 1) << 40 : 0;
        locusi_train_spread(t, t->workers, locusi_train_noise);
        loss += locusi_train_step(t, &b);
        bad |= t->bad;
        m += each;
    } while (m < models);
    t->bad = bad;
    return loss;
}

// Validation metrics of the weights in `flat`.
LOCUSI_FN locus_status locusi_train_evaluate(locus_trainer *t, float *flat, locus_metrics *out, locus_error *err)
{
    float *const theta = t->theta;
    locusi_batch b;
    locus_scores scores;
    locus_metrics_opts opts;
    locus_run run;
    memset(&b, 0, sizeof b);
    memset(&scores, 0, sizeof scores);
    memset(&opts, 0, sizeof opts);
    b.models = t->models;
    b.rows = t->n;
    b.targets = t->validation;
    b.queries = t->queries;
    b.target_queries = t->validation_queries;
    b.scores = t->scores;
    b.z = t->z;
    b.logits = t->logits;
    t->theta = flat;
    locusi_train_prepare(t);
    locusi_train_step(t, &b);
    t->theta = theta;
    if (!locusi_all_finite(t->logits, b.models * t->validation)) { // no figures, so these are not the best
        memset(out, 0, sizeof *out);
        out->bce = out->hit1 = (double)locusi_nan();
        return LOCUS_OK;
    }
    memset(&run, 0, sizeof run);
    run.memory = t->metrics_work;
    run.memory_bytes = t->metrics_bytes;
    scores.models = b.models;
    scores.count = t->validation;
    scores.f32 = t->validation_scores;
    opts.leaders = &t->leader;
    opts.leader_count = 1;
    return locus_metrics_compute(out, t->logits, t->validation, &scores, &opts, &run, err);
}

// The recall's weight beside the net whose validation logits are at hand: least squares of the two chances' mixture,
// drawn to the default as by twenty queries.
LOCUSI_FN double locusi_train_recall_weight(const locus_trainer *t)
{
    const double drawn = 20.0 / (double)t->validation;
    double along = 0.0, length = 0.0;
    size_t i, j;
    for (i = 0; i < t->validation; i++)
        for (j = 0; j < t->models; j++) {
            const float y = t->validation_scores[j * t->validation + i];
            const double net = locus_probability((double)t->logits[i * t->models + j]);
            const double more = locus_probability((double)t->told[i * t->models + j]) - net;
            if (locusi_is_nan(y)) continue;
            along += more * ((double)y - net);
            length += more * more;
        }
    if (!(length > 0.0)) return LOCUSI_RECALL_WEIGHT;
    return locusi_clamp((along + drawn * length * LOCUSI_RECALL_WEIGHT) / (length * (1.0 + drawn)), 0.01, 1.0);
}

LOCUSI_FN int locusi_train_finished(const locus_trainer *t)
{
    return t->epoch >= t->o.epochs || (t->o.patience != SIZE_MAX && t->epoch >= t->best_epoch + t->o.patience);
}

LOCUSI_FN int locusi_train_evaluated(const locus_trainer *t, size_t epoch)
{
    return t->validation && epoch && (epoch % t->o.evaluate_every == 0 || epoch == t->o.epochs);
}

// Does a step of these rates leave the weights such as a net may have? It moves one by at most 8 rates, and decay.
LOCUSI_FN int locusi_train_bounded(const locus_trainer *t, const double rate[2])
{
    size_t i;
    for (i = 0; i < t->count; i++) {
        const double step = rate[i >= t->encoder_count];
        if (!locusi_within(fabs((double)t->theta[i]) * (1.0 + step * t->o.weight_decay) + 8.0 * step, 0.0,
                           LOCUSI_LARGEST_WEIGHT))
            return 0;
    }
    return 1;
}

LOCUSI_FN locus_status locusi_train_epoch(locus_trainer *t, locus_epoch *e, locus_error *err)
{
    const size_t count = t->count;
    const double rate[2] = {locusi_train_rate(t, t->o.encoder_rate), locusi_train_rate(t, t->o.predictor_rate)};
    float keep = 0.0f;
    locus_gradient g;
    size_t i;
    locus_status status;
    memset(e, 0, sizeof *e);
    e->epoch = t->epoch + 1;
    e->epochs = t->o.epochs;
    locusi_train_prepare(t);
    e->loss = locusi_train_loss(t, &g.pairs);
    if (t->bad) e->loss = (double)locusi_nan();
    g.gradient = t->group[0].gradient;
    g.count = count;
    g.loss = &e->loss;
    g.epoch = e->epoch;
    if (t->o.on_gradient && t->o.on_gradient(t->run.user, &g))
        return locusi_fail(err, LOCUS_ERR_CANCELLED, "on_gradient", "", "");
    e->gradient_norm = locusi_norm(t->k, g.gradient, count);
    if (!(locusi_within(e->loss, -1e30, 1e30) && locusi_within(e->gradient_norm, 0.0, 1e30)))
        return locusi_fail(err, LOCUS_ERR_DIVERGED, "epoch %z", "a finite loss and gradient", "loss %f, norm %f",
                           e->epoch, e->loss, e->gradient_norm);
    if (!locusi_train_bounded(t, rate))
        return locusi_fail(err, LOCUS_ERR_DIVERGED, "epoch %z", "weights that a net may have",
                           "a step that leaves them: a rate is too large", e->epoch);
    t->epoch++;
    locusi_train_update(t, rate, t->epoch, e->gradient_norm);
    if (t->o.average > 0.0) { // a mean over few steps at first
        const double start = (double)t->epoch / ((double)t->epoch + 9.0);
        keep = (float)(start < t->o.average ? start : t->o.average);
    }
    for (i = 0; i < count; i++) t->average[i] = keep * t->average[i] + (1.0f - keep) * t->theta[i];
    e->best = t->o.keep == LOCUS_KEEP_LAST;
    if (locusi_train_evaluated(t, t->epoch)) {
        if ((status = locusi_train_evaluate(t, t->average, &e->metrics, err))) return status;
        e->evaluated = 1;
        if (t->o.keep != LOCUS_KEEP_LAST) {
            const double value = t->o.keep == LOCUS_KEEP_BCE ? -e->metrics.bce : e->metrics.hit1;
            e->best = locusi_within(value, -1e30, 1e30) && (t->best_epoch == 0 || value > t->best_value);
            if (e->best) t->best_value = value;
        }
    }
    if (e->best) {
        t->recall_weight = e->evaluated && t->virtuals ? locusi_train_recall_weight(t) : 0.0;
        memcpy(t->best, t->average, count * sizeof(float));
        t->best_epoch = t->epoch;
    }
    e->best_epoch = t->best_epoch;
    t->finished = locusi_train_finished(t);
    if ((t->o.on_epoch && t->o.on_epoch(t->run.user, e)) ||
        (t->run.progress && t->run.progress(t->run.user, t->epoch, t->o.epochs)))
        return locusi_fail(err, LOCUS_ERR_CANCELLED, "epoch %z", "", "", e->epoch);
    return LOCUS_OK;
}

LOCUS_API locus_status locus_train_run(locus_trainer *t, locus_error *err)
{
    locus_status status = LOCUS_OK;
    locus_epoch unused;
    if (!t) return locusi_null(err, "trainer");
    while (!status && !t->finished) status = locusi_train_epoch(t, &unused, err);
    return status;
}

// ---- out of the trainer

typedef struct locusi_train_file { // a net file, its lists and data where the gradients are summed during a step
    locus_safetensors st;
    locus_metadata metadata[9];
    char numbers[9][24];
} locusi_train_file;

LOCUSI_FN void locusi_train_export(const locus_trainer *t, locusi_train_file *f)
{
    const locus_net *s = &t->shape;
    const size_t tensors = locusi_encoder_tensors(s) + LOCUSI_DECODER_TENSORS;
    const size_t sizes[9] = {s->q, s->d, s->heads, s->layers, s->r, s->g, 0, (size_t)(100.0 * t->recall_weight + 0.5)};
    static const char *const keys[9] = {"q_dim",          "z_dim",        "n_heads",       "n_layers",     "m_induce",
                                        "decoder_hidden", "encoder_kind", "memory_weight", "query_encoder"};
    locus_run sums;
    locusi_work w;
    locusi_spec *spec;
    size_t i, n, r, c;
    memset(f, 0, sizeof *f);
    memset(&sums, 0, sizeof sums);
    sums.memory = t->sums;
    sums.memory_bytes = t->sums_bytes;
    locusi_work_begin(&w, &sums);
    spec = (locusi_spec *)locusi_take(&w, tensors, sizeof *spec);
    f->st.tensors = (locus_tensor *)locusi_take_zero(&w, tensors + 3, sizeof(locus_tensor));
    for (i = 0; i < tensors; i++) {
        locus_tensor *const x = &f->st.tensors[i];
        locusi_spec_at(s, i, "decoder.mlp_head.3", &spec[i]);
        x->name = spec[i].name;
        x->dtype = LOCUS_F32;
        x->dtype_name = "F32";
        x->rank = spec[i].rank;
        for (n = 0, x->count = 1; n < 8; n++) x->count *= x->shape[n] = n < 3 && n < x->rank ? spec[i].shape[n] : 1;
        x->bytes = 4 * x->count;
        x->data = locusi_take(&w, x->count, 4);
    }
    for (i = 0; i < t->param_count; i++) {
        const locusi_param *p = &t->params[i];
        unsigned char *const to = (unsigned char *)(uintptr_t)f->st.tensors[p->tensor].data;
        // the weights that meet the encodings take over their scale
        const int scaled = i == LOCUSI_A || i == LOCUSI_C || p == &t->rest[LOCUSI_U];
        for (r = 0; r < p->rows; r++)
            for (c = 0; c < p->columns; c++) {
                const float x = t->best[locusi_param_at(s, p, r, c)] * (scaled ? t->scale : 1.0f);
                locusi_copy_le(to + 4 * locusi_param_in(p, r, c), &x, 1, sizeof x);
            }
    }
    f->st.tensor_count = tensors;
    if (t->data.text) f->st.tensor_count += locusi_text_tensors(t->data.text, f->st.tensors + tensors, t->text);
    f->st.metadata = f->metadata;
    for (i = 0; i < 9; i++) {
        locus_metadata *const x = &f->metadata[f->st.metadata_count];
        locusi_text(f->numbers[i], sizeof f->numbers[i], "%z", sizes[i]);
        x->key = keys[i];
        x->value = i == 6 ? "isab" : i == 8 ? t->query_encoder : f->numbers[i];
        f->st.metadata_count += i == 7 ? t->recall_weight > 0.0 : x->value[0] != 0;
    }
}

LOCUS_API locus_status locus_train_net(locus_net **out, const locus_trainer *t, const locus_run *run, locus_error *err)
{
    locusi_train_file file;
    if (!out) return locusi_null(err, "out");
    *out = NULL;
    if (!t) return locusi_null(err, "trainer");
    locusi_train_export(t, &file);
    return locus_net_create(out, &file.st, run, err);
}

#ifndef LOCUS_NO_STDIO
LOCUS_API locus_status locus_train_save(const locus_trainer *t, const char *path, locus_error *err)
{
    locusi_train_file file;
    if (!t || !path) return locusi_null(err, t ? "path" : "trainer");
    locusi_train_export(t, &file);
    return locus_safetensors_save(path, file.st.tensors, file.st.tensor_count, file.st.metadata, file.st.metadata_count,
                                  err);
}

// ---- state: the flat arrays and the counters, bound to data and options by a hash, and whole by another

static const char *const locusi_state_names[LOCUSI_STATES] = {"state.weights", "state.m", "state.v", "state.average",
                                                              "state.best"};
static const char *const locusi_state_keys[LOCUSI_STATES] = {"locus.state", "locus.epoch", "locus.best_epoch",
                                                             "locus.best_value", "locus.state_hash"};

LOCUSI_FN uint64_t locusi_train_identity(const locus_trainer *t)
{
    const locus_train_opts *o = &t->o;
    const int more[] = {o->warmup, (int)o->recipe, (int)o->keep, o->separate_noise};
    locus_train_opts copy = *o;
    locusi_option table[LOCUSI_OPTIONS];
    uint64_t h = locusi_mix(t->data_hash ^ o->seed);
    size_t i;
    locusi_option_table(&copy, t->n, table);
    for (i = 0; i < LOCUSI_OPTIONS; i++)
        h = locusi_mix(h ^ (table[i].number ? locusi_f64_bits(*table[i].number) : *table[i].count));
    for (i = 0; i < sizeof more / sizeof more[0]; i++) h = locusi_mix(h ^ (uint64_t)(int64_t)more[i]);
    return locusi_mix(locusi_mix(h ^ o->parts) ^ o->part);
}

// Of everything that a state holds.
LOCUSI_FN uint64_t locusi_state_hash(const uint64_t value[4], const float *numbers, size_t count)
{
    uint64_t h = locusi_mix(count);
    size_t i;
    for (i = 0; i < 4; i++) h = locusi_mix(h ^ value[i]);
    for (i = 0; i < LOCUSI_STATES * count; i++) h = locusi_mix(h ^ locusi_f32_bits(numbers[i]));
    return h;
}

LOCUS_API locus_status locus_train_save_state(const locus_trainer *t, const char *path, locus_error *err)
{
    locus_tensor tensors[LOCUSI_STATES];
    locus_metadata metadata[LOCUSI_STATES];
    char text[LOCUSI_STATES][24];
    uint64_t value[LOCUSI_STATES];
    size_t i;
    if (!t || !path) return locusi_null(err, t ? "path" : "trainer");
    value[0] = locusi_train_identity(t);
    value[1] = t->epoch;
    value[2] = t->best_epoch;
    value[3] = locusi_f64_bits(t->best_value);
    value[4] = locusi_state_hash(value, t->state, t->count);
    locusi_copy_le(t->sums, t->state, LOCUSI_STATES * t->count, sizeof(float));
    memset(tensors, 0, sizeof tensors);
    for (i = 0; i < LOCUSI_STATES; i++) {
        tensors[i].name = locusi_state_names[i];
        tensors[i].dtype = LOCUS_F32;
        tensors[i].rank = 1;
        tensors[i].shape[0] = t->count;
        tensors[i].data = t->sums + i * t->count;
        locusi_text(text[i], sizeof text[i], "%x", value[i]);
        metadata[i].key = locusi_state_keys[i];
        metadata[i].value = text[i];
    }
    return locus_safetensors_save(path, tensors, LOCUSI_STATES, metadata, LOCUSI_STATES, err);
}

// t->sums, value <- a state that this trainer may have left.
LOCUSI_FN locus_status locusi_state_read(const locus_trainer *t, const locus_safetensors *st, const char *path,
                                         uint64_t value[LOCUSI_STATES], locus_error *err)
{
    const size_t count = t->count;
    size_t i, j;
    for (i = 0; i < LOCUSI_STATES; i++) {
        const char *text = locus_safetensors_meta(st, locusi_state_keys[i]);
        if (!text || !locusi_parse_hash(text, strlen(text), &value[i]))
            return locusi_fail(err, LOCUS_ERR_MISMATCH, "%s", "%s", "no training state", path, locusi_state_keys[i]);
    }
    if (value[0] != locusi_train_identity(t))
        return locusi_fail(err, LOCUS_ERR_MISMATCH, "%s", "%x, this trainer's data and options", "%x", path,
                           locusi_train_identity(t), value[0]);
    for (i = 0; i < LOCUSI_STATES; i++) {
        const char *const name = locusi_state_names[i];
        const locus_tensor *x = locus_safetensors_find(st, name);
        const double most = i == 1 || i == 2 ? DBL_MAX : LOCUSI_LARGEST_WEIGHT, least = i == 2 ? 0.0 : -most;
        float *const to = t->sums + i * count;
        if (!x || x->dtype != LOCUS_F32 || x->count != count)
            return locusi_fail(err, LOCUS_ERR_MISMATCH, "%s", "%z numbers in %s", "others", path, count, name);
        locusi_copy_le(to, x->data, count, sizeof(float));
        for (j = 0; j < count; j++) // weights as training keeps them, v a mean of squares
            if (!locusi_within((double)to[j], least, most))
                return locusi_fail(err, LOCUS_ERR_MISMATCH, "%s[%z]", "%f to %f", "%f", name, j, least, most,
                                   (double)to[j]);
    }
    if (value[4] != locusi_state_hash(value, t->sums, count))
        return locusi_fail(err, LOCUS_ERR_MISMATCH, "%s", "the bytes that were written", "others", path);
    if (value[1] > t->o.epochs || value[2] > value[1] || !locusi_within(locusi_f64_from(value[3]), -1e30, 1e30))
        return locusi_fail(err, LOCUS_ERR_MISMATCH, "%s", "at most %z epochs, the best among them", "%u, best %u: %f",
                           path, t->o.epochs, value[1], value[2], locusi_f64_from(value[3]));
    return LOCUS_OK;
}

LOCUS_API locus_status locus_train_load_state(locus_trainer *t, const char *path, locus_error *err)
{
    locus_safetensors st;
    locus_metrics unused;
    uint64_t value[LOCUSI_STATES];
    locus_status status;
    if (!t || !path) return locusi_null(err, t ? "path" : "trainer");
    if ((status = locus_safetensors_open(&st, path, err))) return status;
    status = locusi_state_read(t, &st, path, value, err);
    locus_safetensors_close(&st);
    if (status) return status;
    memcpy(t->state, t->sums, LOCUSI_STATES * t->count * sizeof(float));
    t->epoch = (size_t)value[1];
    t->best_epoch = (size_t)value[2];
    t->best_value = locusi_f64_from(value[3]);
    t->finished = locusi_train_finished(t);
    t->recall_weight = 0.0;
    if (t->virtuals && locusi_train_evaluated(t, t->best_epoch)) { // as when they were the best
        if ((status = locusi_train_evaluate(t, t->best, &unused, err))) return status;
        t->recall_weight = locusi_train_recall_weight(t);
    }
    return LOCUS_OK;
}
#endif
#endif // LOCUS_NO_TRAIN

#endif // LOCUS_IMPLEMENTATION, second part

#if defined(LOCUS_IMPLEMENTATION) && !defined(LOCUSI_IMPLEMENTED) && !defined(LOCUSI_KERNEL_PASS)

// -------------------------------------------------------------------------------------------------------- >>router
//
// What a router does alike in both builds. What it loads, routes and adds stands in >>compact and behind >>route.

#ifndef LOCUS_NO_STDIO
LOCUS_API locus_status locus_router_open(locus_router *out, const char *path, const locus_run *run, locus_error *err)
{
    locus_file file;
    locus_status status;
    if (!out) return locusi_null(err, "out");
    memset(out, 0, sizeof *out);
    if ((status = locusi_file_open(&file, path, err))) return status;
    status = locus_router_load(out, file.data, file.bytes, run, err);
#ifdef LOCUS_INFERENCE_ONLY // all is read where it stands
    if (!status) {
        out->pool->file = file;
        return LOCUS_OK;
    }
#endif
    locusi_file_close(&file);
    return status;
}
#endif

LOCUS_API size_t locus_router_count(const locus_router *router)
{
    return router && router->pool ? router->pool->count : 0;
}

LOCUS_API const char *locus_router_name(const locus_router *router, size_t index)
{
    return index < locus_router_count(router) ? router->pool->models[index].name : NULL;
}

LOCUS_API size_t locus_router_find(const locus_router *router, const char *name)
{
    const size_t count = locus_router_count(router);
    size_t i;
    for (i = 0; name && i < count; i++)
        if (!strcmp(locus_router_name(router, i), name)) return i;
    return SIZE_MAX;
}

static locus_status locusi_router_index(const locus_router *router, size_t index, locus_error *err)
{
    if (index < locus_router_count(router)) return LOCUS_OK;
    return locusi_fail(err, LOCUS_ERR_ARGUMENT, "index", "below %z", "%z", locus_router_count(router), index);
}

LOCUS_API locus_status locus_router_set_available(locus_router *router, size_t index, int available, locus_error *err)
{
    const locus_status status = locusi_router_index(router, index, err);
    if (!status) router->pool->models[index].available = available != 0;
    return status;
}

LOCUS_API locus_status locus_router_set_cost(locus_router *router, size_t index, double cost, locus_error *err)
{
    const locus_status status = locusi_router_index(router, index, err);
    if (status) return status;
    if (!locusi_amount(cost))
        return locusi_fail(err, LOCUS_ERR_POOL, "cost", "finite and not negative, or NaN for unknown", "%f", cost);
    router->pool->models[index].cost = cost;
    return LOCUS_OK;
}

LOCUS_API locus_status locus_router_route_text(const locus_router *router, const char *text, size_t bytes,
                                               const locus_route_opts *opts, locus_choice *out, const locus_run *run,
                                               locus_error *err)
{
    locusi_work work;
    locusi_text_sum sum;
    locus_queries query;
    locus_run rest;
    float *q;
    locus_status status;
    if (!router || !router->pool || !out || (bytes && !text)) return locusi_null(err, "router, text, out");
    if (!router->text)
        return locusi_fail(err, LOCUS_ERR_MISMATCH, "router", "one whose queries a locus_text encodes", "another");
    locusi_work_begin(&work, run);
    locusi_text_take(&sum, router->text, &work);
    q = (float *)locusi_take(&work, router->q_dim, sizeof(float));
    rest = locusi_work_rest(&work, run);
    memset(&query, 0, sizeof query);
    query.encodings = q ? q : (const float *)rest.memory;
    query.count = 1;
    query.dim = router->q_dim;
    if (!(status = locusi_work_short(&work, err))) {
        locusi_text_encode(&sum, text, bytes);
        locusi_text_floats(&sum, q);
    }
    if (!status || rest.memory) // where memory is short already: to say how much both take, no query is looked at
        status = locusi_work_within(&work, locus_router_route(router, &query, opts, out, &rest, err), err);
    locusi_work_end(&work);
    return status;
}

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
