// SPDX-License-Identifier: MIT
// What the files of the command line share: see main.c for the commands, and which file has which.
#ifndef LOCUS_TOOL_H
#define LOCUS_TOOL_H

#if !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1 // POSIX names under -std=c99
#endif
#include "../../locus.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#define HAVE_POSIX 1
#else
#define HAVE_POSIX 0
#endif

#if defined(__GNUC__) || defined(__clang__)
#define PRINTF_LIKE(at, first) __attribute__((format(printf, at, first)))
#else
#define PRINTF_LIKE(at, first)
#endif

enum { DONE = 0, FAILED = 1, MISUSED = 2 };

typedef struct options {
    const char *file, *net, *pool, *router, *encodings, *scores, *mask, *queries, *models, *model_rows, *out;
    const char *query_encoder, *available, *default_model, *rows, *texts, *split, *use, *categories;
    const char *resume, *metrics, *curve, *unlabelled, *text_file, *question, *profile;
    const char *costs, *prices, *tokens_in, *tokens_out, *weak, *strong;
    const char *second, *want, *query, *row, *more_encodings, *more_scores, *svg, *html, *evaluated;
    double max_cost, lambda, budget, margin, memory; // negative: not given
    double noise, dropout, weight_decay, encoder_rate, predictor_rate, height, cost;
    size_t threads, top; // 0: not given
    size_t count, batch, window, resamples;
    size_t anchors, epochs, patience, seed, z_dim, heads, layers, induce, hidden, subset_min, subset_max, targets;
    int isa, path, with_net, recipe, keep; // index of the word; with_net, keep 0: not given
    int metric, linkage, method, among;    // metric, among 0: not given
    int allow_unpriced, no_default;
    int json, all, logits, fully_scored, synthetic, for_routing, add, complete, help;
} options;

//
// One session per process. It owns everything that a command opens or allocates; main closes it, so that a command may
// return from anywhere.
typedef union block { // precedes each allocation
    union block *next;
    long double for_alignment;
} block;

typedef struct session {
    const char *command; // NULL: none yet
    options opt;
    block *blocks;
    locus_array arrays[8];
    size_t array_count;
    locus_texts texts;  // of --text FILE
    locus_texts labels; // of --categories FILE.jsonl
    locus_text *text_encoder;
    locus_safetensors net_file;
    int net_file_open;
    locus_net *net;
    locus_net_info info;
    locus_pool *pool;
    locus_trainer *trainer;
    const locus_parallel *parallel;
    locus_error err;
    const char *task; // progress: what is going on, since when, when last shown
    double started, shown;
} session;

//
// Every command has a table of flags; the parser, the help text and the errors come from it.
typedef enum flag_kind {
    SWITCH,   // int <- 1
    TEXT,     // const char *
    COUNT,    // size_t, 1 or more
    NUMBER,   // double, finite, 0 or more
    CHOICE,   // int <- place of the value in the words of `argument`, "one|two|three"
    CHOICE_1, // the same, counted from 1
    POSITION  // const char *, without a flag
} flag_kind;

typedef struct flag {
    const char *name, *argument;
    flag_kind kind;
    size_t target; // offset in options
    int required;
    const char *help;
} flag;

typedef struct command {
    const char *name, *summary;
    const flag *flags; // ends with a name of NULL
    int (*run)(session *s);
    const char *more; // the end of the help text
} command;

#define AT(field) offsetof(options, field)

#define COMMON_FLAGS                                                                                                   \
    {"--threads", "T", COUNT, AT(threads), 0, "threads to work with (default: one for each processor)"},               \
        {"--isa", "auto|scalar|avx2|avx512|neon", CHOICE, AT(isa), 0, "instruction set (default: the best one)"},      \
        {"--help", "", SWITCH, AT(help), 0, "this text"},                                                              \
    {                                                                                                                  \
        NULL, NULL, SWITCH, 0, 0, NULL                                                                                 \
    }

#define COST_FLAGS                                                                                                     \
    {                                                                                                                  \
        "--costs", "C.npy", TEXT,                                                                                      \
        AT(costs), 0,       "what each query costs with each model, [models, queries]; NaN: unknown"},                 \
        {"--prices", "PRICES.csv",                                                                                     \
         TEXT,       AT(prices),                                                                                       \
         0,          "in its place the models' prices by token or by query: see below"},                               \
        {"--tokens-in", "T.npy", TEXT, AT(tokens_in), 0, "tokens of each query (default: estimated from its words)"},  \
        {"--tokens-out",                                                                                               \
         "N|T.npy",                                                                                                    \
         TEXT,                                                                                                         \
         AT(tokens_out),                                                                                               \
         0,                                                                                                            \
         "tokens of an answer: one number, or one for each query, each model or [models, queries] (default: 256)"},    \
        {"--allow-unpriced", "", SWITCH,                                                                               \
         AT(allow_unpriced), 0,  "models of unknown cost may be chosen where costs count"},                            \
        {"--available", "NAMES", TEXT, AT(available), 0, "only these models, separated by commas"},                    \
        {"--max-cost", "C", NUMBER, AT(max_cost), 0, "no model dearer than C"},                                        \
        {"--lambda", "L", NUMBER, AT(lambda), 0, "price of cost: choose the highest p - L * cost"},                    \
        {"--budget", "B", NUMBER, AT(budget), 0, "choose L such that the mean cost over these queries is at most B"},  \
        {"--default", "NAME",                                                                                          \
         TEXT,        AT(default_model),                                                                               \
         0,           "take this model unless another gains more than the margin (default: the pool's guard)"},        \
        {"--margin", "G", NUMBER, AT(margin), 0, "that margin, in p - L * cost (default: 0, or the guard's)"},         \
    {                                                                                                                  \
        "--no-default", "", SWITCH, AT(no_default), 0, "the likeliest model, whatever guard the pool has"              \
    }

#define COST_HELP                                                                                                      \
    "PRICES.csv has a header line with \"name\" and input and output prices per million tokens (usd_in_per_m and\n"    \
    "usd_out_per_m, input_price_per_million, ...), or a \"cost\" per query; nothing in a field is unknown, not "       \
    "free.\n"                                                                                                          \
    "Tokens of a text: characters / 4, but each character of Chinese, Japanese or Korean.\n"

// Scores or a mask: one of the two pointers is set. In place where nothing has to be picked or converted.
typedef struct grades {
    size_t models, n;
    const float *f32;
    const unsigned char *u8;
} grades;

typedef struct costs {
    double *of_query;     // [n, models of the pool]; NULL: each model's own cost, the pool's
    const char *source;   // in words
    locus_price *prices;  // [models]; NULL without --prices
    double answer_tokens; // one number for all answers; NaN: of a file
} costs;

// An evaluation: what was asked of the pool, what came of it.
typedef struct replay {
    grades g; // of the pool's models, all queries
    locus_scores scores;
    size_t models, n, *use;   // queries in use: those with a candidate
    size_t missing, left_out; // cells without a score before, queries without a candidate
    unsigned char *candidate; // [n, models]
    size_t *leaders;          // [models] best first
    double *means;            // [models] what they are ordered by
    locus_among among;
    costs c;          // of the queries in use
    double *own_cost; // [models] the pool's
    locus_route_opts rules;
    float *logits;                             // [n, models]
    locus_choice *choices;                     // [n]
    double *right[2], *score[2], mean_cost[2]; // [n] of the router, of the leader; NaN: not all are known
    int priced;                                // 1: there is a frontier
    locus_frontier frontier;
    locus_frontier_point *points;
    locus_single *singles;   // [models]
    locus_zero_corner *zero; // corners, from the cheapest
} replay;

enum { MOST_PAIRED = 5000 }; // models whose distances from each other are all looked at, in memory

// The pool, and with --encodings or --text a sample of queries with every model's predicted chances on it.
typedef struct sample {
    size_t models, n; // n 0: there is no sample
    const locus_array *array;
    locus_queries queries;             // the same as floats
    locus_points embeddings, profiles; // [models, z_dim], [models, n]
    int32_t *category;                 // [n], or NULL without --categories
    const char **names;
    size_t categories;
    unsigned char *scores; // [models, n] 0, 1 or 255 = missing; NULL without --scores
    unsigned char *available;
} sample;

typedef enum need { SAMPLE_OPTIONAL, SAMPLE_NEEDED } need;

typedef struct view { // how models are compared
    locus_metric metric;
    locus_points points;
    const char *name, *words, *note; // note: words and sample
} view;

typedef struct clustering {
    locus_merge *merges;   // [n - 1]
    size_t *order, *label; // [n]
    size_t clusters;
    double cut;
} clustering;

typedef void (*drawing)(FILE *f, const void *picture);

// Every pair's distance and expected or observed disagreement, for the scatter.
typedef struct pairs {
    double *distance, *disagreement;
    size_t count;
    int observed;
} pairs;

#define POOL_FLAGS                                                                                                     \
    {"--router", "ROUTER.safetensors", TEXT, AT(router), 0, "one file that holds net and pool"},                       \
        {"--net", "NET.safetensors", TEXT, AT(net), 0, "or the net"},                                                  \
    {                                                                                                                  \
        "--pool", "POOL.safetensors|Z.npy", TEXT, AT(pool), 0, "and the models' embeddings"                            \
    }

#define QUERY_FLAGS(what)                                                                                              \
    {"--encodings", "Q.npy", TEXT, AT(encodings), 0, what " [n, q_dim]"},                                              \
    {                                                                                                                  \
        "--text", "Q.jsonl", TEXT, AT(text_file), 0, "in their place the queries' words, for a net that reads text"    \
    }

#define SCORE_FLAGS(required)                                                                                          \
    {"--scores", "Y.npy",  TEXT,                                                                                       \
     AT(scores), required, "[models, n]: u1 with 255 = missing, or float with NaN = missing"},                         \
        {"--models", "MODELS.csv", TEXT, AT(models), 0, "names of the rows of --scores: match the pool by name"},      \
    {                                                                                                                  \
        "--model-rows", "IDX.npy", TEXT, AT(model_rows), 0, "the rows of --scores that belong to the pool's models"    \
    }

#define METRIC_FLAG(usual)                                                                                             \
    {                                                                                                                  \
        "--metric", "cosine|euclidean|disagreement|chances", CHOICE_1, AT(metric), 0, "(default: " usual ")"           \
    }

#define PICTURE_FLAGS(what)                                                                                            \
    {"--svg", "FILE.svg", TEXT, AT(svg), 0, what}, { "--html", "FILE.html", TEXT, AT(html), 0, "the same in a page" }

#define JSON_FLAG                                                                                                      \
    {                                                                                                                  \
        "--json", "", SWITCH, AT(json), 0, "as JSON"                                                                   \
    }

// session.c
int is_finite(double x);
int is_nan(double x);
PRINTF_LIKE(2, 3) int fail(const session *s, const char *format, ...);
PRINTF_LIKE(2, 3) int misuse(const session *s, const char *format, ...);
int fail_library(const session *s, const char *flag_name, const char *path);
void *take(session *s, size_t count, size_t size);
void close_session(session *s);
int start_threads(session *s);
double seconds(void);
void progress_begin(session *s, const char *task);
int progress(void *user, size_t done, size_t total);
void progress_end(session *s);
PRINTF_LIKE(2, 3) const char *phrase(session *s, const char *format, ...);

// flags.c
void consider(const char *word, const char *candidate, const char **best, size_t *distance);
int find_word(const char *words, const char *value);
int read_number(const char *text, double *value);
int read_count(const char *text, size_t *value);
int parse_flags(session *s, const command *c, int argc, char **argv);
void print_help(const command *c);

// output.c
size_t utf8_bytes(const char *text);
int print_text(const char *text, int width);
int text_width(const char *text);
void json(const char *format, ...);
FILE *text_begin(session *s, const char *path, char temporary[4096]);
int text_end(session *s, FILE *f, const char *temporary, const char *path);
const char *figure(char text[16], double value, double scale, int decimals);
void print_interval(const char *before, locus_interval x, const char *unit);
void json_range(const char *name, locus_interval x);
const char *cost_text(char text[32], double cost);
const char *percent(char text[48], double value);
const char *percents(char text[48], const locus_interval *x);
void json_interval(const char *name, const locus_interval *x);
void print_words(const session *s, const char *const *texts, size_t row, int columns);

// text.c
int read_text(session *s, const char *flag_name, const char *path, char **text);
char csv_field(char **cursor, char **field, size_t *line);
int load_models(session *s, size_t m, const char *what, locus_model **out);
int has_ending(const char *path, const char *ending);
int load_texts(session *s, size_t n, const char ***texts);
int load_categories(session *s, size_t n, int32_t **category, const char ***names, size_t *count);

// arrays.c
const char *dtype_name(locus_dtype dtype);
const char *shape_text(const size_t *shape, size_t rank, char text[240]);
int open_array(session *s, const char *flag_name, const char *path, size_t rank, const char *meaning,
               const locus_array **out);
int is_integer(const locus_array *a);
int64_t integer_at(const locus_array *a, size_t i);
int load_places(session *s, const char *flag_name, const char *path, size_t limit, const char *what, size_t **out,
                size_t *count);
int open_grades(session *s, const char *flag_name, const char *path, const locus_array **out);
int pick_grades(session *s, const locus_array *a, const size_t *rows, size_t row_count, const size_t *columns,
                size_t column_count, grades *out);
int is_missing(const grades *g, size_t model, size_t query);
const char *queries_name(session *s);
int encode_texts(session *s, const locus_text *encoder, const locus_array **out);
int open_texts(session *s);
const locus_text *net_text(session *s);
int open_encodings(session *s, const locus_array **out);
const float *encoding_rows(session *s, const locus_array *a, const size_t *rows, size_t first, size_t count,
                           float *buffer);
int is_npy(const char *path);
int match_models(session *s, size_t score_rows, size_t **rows);
float score_at(const grades *g, size_t model, size_t query);
double number_at(const locus_array *a, size_t i);
int float_queries(session *s, const char *flag_name, const char *path, const locus_array *a, locus_queries *out);
int load_scores(session *s, size_t n, unsigned char **out);
int load_row(session *s, const char *flag_name, const char *path, size_t n, size_t model, float **out);
locus_evals one_model(const locus_queries *queries, const float *scores);

// pool.c
int make_net(session *s, const char *flag_name, const char *path);
int open_net(session *s, const char *flag_name, const char *path);
int open_net_and_pool(session *s);
int predict_rows(session *s, const locus_array *a, const size_t *rows, size_t first, size_t n, float *logits);
int fail_name(const session *s, const char *flag_name, const char *name);
int longest_name(const session *s);
int read_available(session *s, unsigned char *available);
int name_of(session *s, const char *flag_name, const char *name, size_t *index);
const char *model_name(const session *s, size_t i);
int find_model(session *s, const char *what, const char *name, size_t *index);
const char *pool_path(const session *s);
int save_pool(session *s);
int check_out(session *s);

// sample.c
int open_sample(session *s, need needed, sample *out);
double set_value(const sample *x, const size_t *picks, size_t count, double *measured);
int choose_view(session *s, const sample *x, int usual, view *v);
locus_run run_of(session *s);
double *category_means(session *s, const sample *x);
int all_distances(session *s, const view *v, float **out);
int find_neighbours(session *s, const view *v, const locus_points *of, size_t k, const unsigned char *available,
                    locus_neighbour **out);
int find_clusters(session *s, const view *v, locus_linkage linkage, size_t count, double height, clustering *out);
size_t usual_clusters(size_t models);
int name_clusters(session *s, const clustering *c, size_t n, const float *distances, size_t **medoids, size_t **sizes,
                  const char ***names);
const char **all_names(session *s);
size_t unlike(const unsigned char *a, const unsigned char *b, size_t n, size_t *shared);
int collect_pairs(session *s, const sample *x, const float *distances, const float *expected, pairs *out);
int load_versions(session *s, const sample *x, size_t model, locus_points *out);

// costs.c
int check_cost_flags(session *s);
int load_costs(session *s, const locus_model *known, const size_t *model_rows, size_t rows, size_t columns,
               const size_t *use, size_t first, size_t n, const char *const *texts, const grades *scores, costs *out);
void print_cost_notes(const session *s, const costs *c);
int read_rules(session *s, locus_route_opts *opts);
int keep_budget(session *s, const float *logits, size_t n, locus_route_opts *opts, double *mean_cost);
int fail_rank(const session *s);

// eval.c
void print_metrics_json(const locus_metrics *x);
double cost_at(const replay *r, size_t i, size_t model);

// frontier.c
int open_frontier(session *s, replay *r);
void print_frontier(session *s, const replay *r);

// The page of `locus atlas`, line by line, made from atlas.html; ends with NULL.
extern const char *const atlas_page[];

// The commands, each in the file of its group.
extern const command info_command, embed_command, train_command, encode_command, predict_command, route_command,
    eval_command, compare_command, neighbours_command, cluster_command, portfolio_command, search_command,
    duplicates_command, atlas_command, next_command, explain_command, update_command, calibrate_command;

#endif
