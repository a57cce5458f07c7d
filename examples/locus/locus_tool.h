// SPDX-License-Identifier: MIT
// What the files of the command line share. The commands, and which file has which, are in main.c.
//
// One run, one command: what it was given is in `opt`, what it opened or took is in `tool`, and fail, misuse and the
// must_... end it from anywhere, so that functions return what they are for.

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
#define NO_RETURN __attribute__((noreturn))
#elif defined(_MSC_VER)
#define PRINTF_LIKE(at, first)
#define NO_RETURN __declspec(noreturn)
#else
#define PRINTF_LIKE(at, first)
#define NO_RETURN
#endif

// --------------------------------------------------------------------------------------------------- flags (flags.c)

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
extern options opt;

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
    void (*run)(void);
    const char *more; // the end of the help text
} command;

#define AT(field) offsetof(options, field)
// clang-format off
#define COMMON_FLAGS                                                                                                   \
    {"--threads", "T", COUNT, AT(threads), 0, "threads to work with (default: one for each processor)"},               \
    {"--isa", "auto|scalar|avx2|avx512|neon", CHOICE, AT(isa), 0, "instruction set (default: the best one)"},          \
    {"--help", "", SWITCH, AT(help), 0, "this text"},                                                                  \
    {NULL, NULL, SWITCH, 0, 0, NULL}
#define JSON_FLAG {"--json", "", SWITCH, AT(json), 0, "as JSON"}
#define AVAILABLE_FLAG {"--available", "NAMES", TEXT, AT(available), 0, "only these models, separated by commas"}
#define NET_AND_POOL_FLAGS                                                                                             \
    {"--net", "NET.safetensors", TEXT, AT(net), 0, "the net"},                                                         \
    {"--pool", "POOL.safetensors|Z.npy", TEXT, AT(pool), 0, "the models' embeddings"},                                 \
    {"--router", "ROUTER.safetensors", TEXT, AT(router), 0, "one file that holds both (in place of --net and --pool)"}
#define POOL_FLAGS                                                                                                     \
    {"--router", "ROUTER.safetensors", TEXT, AT(router), 0, "one file that holds net and pool"},                       \
    {"--net", "NET.safetensors", TEXT, AT(net), 0, "or the net"},                                                      \
    {"--pool", "POOL.safetensors|Z.npy", TEXT, AT(pool), 0, "and the models' embeddings"}
#define QUERY_FLAGS(what)                                                                                              \
    {"--encodings", "Q.npy", TEXT, AT(encodings), 0, what},                                                            \
    {"--text", "Q.jsonl", TEXT, AT(text_file), 0, "in their place the queries' words, for a net that reads text"}
#define SCORES_HELP "[models, n]: u1 with 255 = missing, or float with NaN = missing"
#define SCORE_FLAGS(required)                                                                                          \
    {"--scores", "Y.npy", TEXT, AT(scores), required, SCORES_HELP},                                                    \
    {"--models", "MODELS.csv", TEXT, AT(models), 0, "names of the rows of --scores: match the pool by name"},          \
    {"--model-rows", "IDX.npy", TEXT, AT(model_rows), 0, "the rows of --scores that belong to the pool's models"}
#define COST_FLAGS                                                                                                     \
    {"--costs", "C.npy", TEXT, AT(costs), 0,                                                                           \
     "what each query costs with each model, [models, queries]; NaN: unknown"},                                        \
    {"--prices", "PRICES.csv", TEXT, AT(prices), 0,                                                                    \
     "in its place the models' prices by token or by query: see below"},                                               \
    {"--tokens-in", "T.npy", TEXT, AT(tokens_in), 0, "tokens of each query (default: estimated from its words)"},      \
    {"--tokens-out", "N|T.npy", TEXT, AT(tokens_out), 0,                                                               \
     "tokens of an answer: one number, or one for each query, each model or [models, queries] (default: 256)"},        \
    {"--allow-unpriced", "", SWITCH, AT(allow_unpriced), 0, "models of unknown cost may be chosen where costs count"}, \
    AVAILABLE_FLAG,                                                                                                    \
    {"--max-cost", "C", NUMBER, AT(max_cost), 0, "no model dearer than C"},                                            \
    {"--lambda", "L", NUMBER, AT(lambda), 0, "price of cost: choose the highest p - L * cost"},                        \
    {"--budget", "B", NUMBER, AT(budget), 0, "choose L such that the mean cost over these queries is at most B"},      \
    {"--default", "NAME", TEXT, AT(default_model), 0,                                                                  \
     "take this model unless another gains more than the margin (default: the pool's guard)"},                         \
    {"--margin", "G", NUMBER, AT(margin), 0, "that margin, in p - L * cost (default: 0, or the guard's)"},             \
    {"--no-default", "", SWITCH, AT(no_default), 0, "the likeliest model, whatever guard the pool has"}
#define METRIC_FLAG(usual)                                                                                             \
    {"--metric", "cosine|euclidean|disagreement|chances", CHOICE_1, AT(metric), 0, "(default: " usual ")"}
#define PICTURE_FLAGS(what)                                                                                            \
    {"--svg", "FILE.svg", TEXT, AT(svg), 0, what},                                                                     \
    {"--html", "FILE.html", TEXT, AT(html), 0, "the same in a page"}
// clang-format on
#define COST_HELP                                                                                                      \
    "PRICES.csv has a header line with \"name\" and input and output prices per million tokens (usd_in_per_m and\n"    \
    "usd_out_per_m, input_price_per_million, ...), or a \"cost\" per query; nothing in a field is unknown, not "       \
    "free.\n"                                                                                                          \
    "Tokens of a text: characters / 4, but each character of Chinese, Japanese or Korean.\n"

void parse_flags(const command *c, int argc, char **argv);
void print_help(const command *c);
int find_word(const char *words, const char *value); // place of value among "one|two|three", or -1
int read_number(const char *text, double *value);    // the whole text as a finite number; 0: it is none
int read_count(const char *text, size_t *value);     // the same, a whole number from 0
const char *next_item(const char **list,
                      const char *flag_name); // cut the next off "a,b,c"; *list NULL: it was the last

typedef struct guess { // what may have been meant by a word
    const char *word, *nearest;
    size_t distance;
} guess;
void consider(guess *g, const char *candidate); // keep it if it is the nearest, and near enough
const char *did_you_mean(const guess *g);       // " (did you mean X?)" or ""

// ------------------------------------------------------------------------- the run, its memory and its end (session.c)

enum { DONE = 0, FAILED = 1, MISUSED = 2 }; // exit status

typedef union block { // precedes each allocation
    union block *next;
    long double for_alignment;
} block;

// Owns everything that the command opens or takes, until leave().
typedef struct session {
    const char *command; // NULL: none yet
    block *blocks;
    locus_array arrays[12];
    size_t array_count;
    locus_texts texts;  // of --text FILE
    locus_texts labels; // of --categories FILE.jsonl
    locus_text *text_encoder;
    locus_safetensors net_file;
    int net_file_open;
    locus_net *net;
    locus_net_info info;
    locus_pool *pool, *redrawn; // redrawn: see resample_model
    locus_log *log;
    locus_trainer *trainer;
    locus_run run, quiet; // how calls of the library run: threads, instruction set, progress; without progress
    locus_error err;
    FILE *file; // see file_begin
    const char *path, *temporary;
    const char *task; // progress: what is going on (NULL: nothing to show), since when, when last shown
    double started, shown;
} session;
extern session tool;

int is_finite(double x);
int is_nan(double x);
NO_RETURN void leave(int status); // free all and end
PRINTF_LIKE(1, 2) void complain(const char *format, ...);
NO_RETURN PRINTF_LIKE(1, 2) void fail(const char *format, ...);
NO_RETURN PRINTF_LIKE(1, 2) void misuse(const char *format, ...);
NO_RETURN void fail_file(const char *flag_name, const char *path); // tool.err, about that file ("": no flag)
void must(locus_status status);                                    // fail with tool.err unless it is OK
void must_for(locus_status status, const char *what);              // "what: message"
void must_file(locus_status status, const char *flag_name, const char *path);
void *take(size_t count, size_t size);                         // zeroed, for the rest of the run; never NULL
PRINTF_LIKE(1, 2) const char *phrase(const char *format, ...); // a text, for the rest of the run
void start_run(void);                                          // tool.run, tool.quiet
double seconds(void);
void progress_begin(const char *task);
int progress(void *user, size_t done, size_t total); // a line on the terminal, for work of more than a second; 0: go on
int progress_due(double interval);                   // 1: time to show how far it is
void progress_end(void);

// ---------------------------------------------------------------------------------------------- the writer (output.c)

size_t utf8_bytes(const char *text); // of the character at text; 0 if it is none
int is_control(const char *text);    // nothing to show on a terminal
int text_width(const char *text);    // in columns, one for each character
int widest(const char *const *texts, size_t count, int least);

// Print a line of a table: as printf with %s, %d and, for doubles, %f, %g, %e (a number that is not finite is "-");
// %z a size_t; %t a text out of a file, safe on a terminal; %p a share as "71.2 %"; %i the same of a locus_interval *
// with its ends. Widths count columns.
void say(const char *format, ...);
void say_list(FILE *f, const char *format, va_list values);
void print_words(const char *const *texts, size_t row, int columns); // the query's, on one line; texts NULL: nothing
locus_interval just(double value);                                   // without ends
void json_metrics(const locus_metrics *x);                           // the fields (eval.c)

// Print JSON: ' in the format stands for ", %s for a string, %u for a size_t, %d for a double, %f for a float (passed
// as double), %5d for one of 5 digits, %b for a truth value, %i for a locus_interval *, %r for text that is JSON
// already. The rest stands for itself. A comma before a value that follows another in a further call comes by itself.
void json(const char *format, ...);
void json_into(FILE *f); // from now on: there, safe inside of a script element, or to stdout

// A file that appears whole or not at all, one at a time; fail() drops it.
FILE *file_begin(const char *path);
void file_end(void);
void file_drop(void);

// ------------------------------------------------------------------------------------------------- text files (text.c)

enum { CSV_COLUMNS = 256 };

typedef struct csv {
    const char *where; // "--flag path"
    char *text;        // what follows
    size_t line, next; // of the record in field, of what follows
    size_t columns;
    const char *header[CSV_COLUMNS], *field[CSV_COLUMNS];
} csv;

typedef struct categories { // of queries
    size_t count;           // 0: none given
    const char **names;     // in order
    int32_t *of;            // [queries] the number of each one's
} categories;

int has_ending(const char *path, const char *ending);
char **read_lines(const char *flag_name, const char *path, size_t n, const char *what); // n of them, or it fails
csv *csv_open(const char *flag_name, const char *path);
int csv_next(csv *t);                                 // 0: there is no more
locus_model *load_models(size_t m, const char *what); // of --models, m `what`; model-0, model-1, ... without it
categories load_categories(size_t n);                 // of --categories

// --------------------------------------------------------------------------------------------------- arrays (arrays.c)

const char *dtype_name(locus_dtype dtype);
const char *shape_text(const size_t *shape, size_t rank); // "[33, 12032]"
int is_npy(const char *path);
const locus_array *open_any(const char *flag_name, const char *path);
const locus_array *open_array(const char *flag_name, const char *path, size_t rank, const char *meaning);
const locus_array *open_integers(const char *flag_name, const char *path, size_t n); // one for each query
// [rows, columns] for the net, whose `dim` (a word) columns is.
const locus_array *open_table(const char *flag_name, const char *path, const char *rows, size_t columns,
                              const char *dim);
int64_t integer_at(const locus_array *a, size_t i);
double number_at(const locus_array *a, size_t i);
// A list of different places below limit; NULL and *count = limit without a path.
size_t *load_places(const char *flag_name, const char *path, size_t limit, const char *what, size_t *count);

const char *queries_name(void);       // "--encodings Q.npy" or "--text FILE": for messages
void open_texts(void);                // check --encodings and --text, open the latter
const char *const *query_texts(void); // of --text; NULL: none
const locus_text *net_text(void);     // the text encoder that the net carries
locus_queries encode_texts(const locus_text *encoder);
locus_queries open_queries(void); // of --encodings or --text
locus_queries load_queries(const char *flag_name, const char *path);
locus_queries float_queries(const char *flag_name, const char *path, const locus_array *a);
locus_queries pick_queries(const locus_queries *q, const size_t *rows, size_t n);

const locus_array *open_scores(size_t n, const char *rows); // --scores, [models, n]; rows: the flag of the n
locus_scores pick_grades(const locus_array *a, const size_t *rows, size_t row_count, const size_t *columns,
                         size_t column_count); // NULL: all
int is_missing(const locus_scores *g, size_t model, size_t query);
float score_at(const locus_scores *g, size_t model, size_t query); // 0 if it is missing
size_t *match_models(size_t score_rows); // the row of --scores of each model of the pool; NULL: its own
unsigned char *load_answers(size_t n);   // --scores of the pool, right, wrong or 255 = missing
// One model's scores on n queries, NaN = missing: from [n], [1, n], or its row of [models, n].
float *load_row(const char *flag_name, const char *path, size_t n, size_t model);
locus_scores one_row(const locus_scores *g, size_t model);
locus_evals one_model(const locus_queries *queries, const float *scores);

// ----------------------------------------------------------------------------------------------- net and pool (pool.c)

void open_file(const char *flag_name, const char *path); // tool.net_file
void make_net(const char *flag_name, const char *path);
void open_net(const char *flag_name, const char *path);
// --net and --pool; either may be left out if the other is a router file, and --router stands for both.
void open_net_and_pool(void);
void need_encoder(const char *what);
float *predict_logits(const locus_queries *queries, int picked); // [queries, models]; picked: not all of the file's

const char *model_name(size_t i);
const char **all_names(void);
int longest_name(void);                                // columns for names in a table
size_t find_model(const char *what, const char *name); // or it fails, with the nearest name
void complain_of_name(const char *what, const char *name);
unsigned char *read_available(void); // --available: a flag for each model

const char *pool_path(void);
const char *check_out(void); // --out that can be written, or a pool's own file that can be written back
void save_pool(void);        // there, with as much of a net as the pool's file holds

// ----------------------------------------------------------------------------------------- costs and rules (costs.c)

typedef struct costs {
    double *of_query;     // [n, models of the pool]; NULL: each model's own cost, the pool's
    const char *source;   // in words
    locus_price *prices;  // [models]; NULL without --prices
    double answer_tokens; // one number for all answers; NaN: of a file
} costs;

typedef struct cost_scope {   // the queries whose costs are wanted
    size_t rows, columns;     // of --costs, --tokens-out: models, queries
    const size_t *model_rows; // row of each model of the pool; NULL: its own
    const size_t *use;        // [n] columns in use; NULL: from `first` on
    size_t first, n;
    const char *const *texts;   // of all columns; NULL: not known
    const locus_model *known;   // [rows] models that may be priced beside the pool's; NULL: none
    const locus_scores *scores; // where one is missing a cost may be, too; NULL: nowhere
} cost_scope;

void check_cost_flags(void);
costs load_costs(const cost_scope *q);
void print_cost_notes(const costs *c); // which models have no known cost, and what was assumed
locus_route_opts read_rules(void);     // --available, --default, ..., --allow-unpriced; the pool is open
// --budget: the lambda; returns the mean cost.
double keep_budget(const float *logits, size_t n, locus_route_opts *rules);
void must_rank(locus_status status);

// ------------------------------------------------------------------------ pool and sample of queries (sample.c)

enum { MOST_PAIRED = 5000 }; // models whose distances from each other are all looked at, in memory

// The pool, and with --encodings or --text a sample of queries with every model's predicted chances on it.
typedef struct sample {
    size_t models, n; // n 0: there is no sample
    locus_queries queries;
    locus_points embeddings, profiles; // [models, z_dim], [models, n]
    categories category;
    unsigned char *scores; // [models, n] 0, 1 or 255 = missing; NULL without --scores
    unsigned char *available;
} sample;

typedef enum need { SAMPLE_OPTIONAL, SAMPLE_NEEDED, SAMPLE_UNSCORED } need; // unscored: needed, --scores are of others

typedef enum by { BY_USUAL = -1, BY_COSINE, BY_EUCLIDEAN, BY_DISAGREEMENT, BY_CHANCES } by;

typedef struct view { // how models are compared
    locus_metric metric;
    locus_points points;
    const char *name, *words, *note; // note: words and sample
} view;

typedef struct clustering {
    locus_merge *merges;   // [models - 1]
    size_t *order, *label; // [models]
    size_t count, *medoids, *sizes;
    const char **names;
    double cut;
} clustering;

sample open_sample(need needed);
// Mean over the queries of the best chance in the set; and, where scores are known, the share that it answers right
// when each query goes to its best (a missing score counts as a miss).
double set_value(const sample *x, const size_t *picks, size_t count, double *measured);
view make_view(const sample *x, by which);
view choose_view(const sample *x, by usual); // --metric
float *all_distances(const view *v);         // [models, models]
double *category_means(const sample *x);     // [models, categories] of the chances; NaN: no query
double cosine_distance(const float *a, const float *b, size_t n);
locus_neighbour *find_neighbours(const view *v, const locus_points *of, size_t k, const unsigned char *available);
size_t usual_clusters(size_t models); // what is wanted with neither --count nor --height
// The tree, cut into `count` clusters, or at `height` where that is not negative; distances (or NULL) for the medoids.
clustering find_clusters(const view *v, locus_linkage linkage, size_t count, double height, const float *distances);
// A pool of resampled versions of the model, until the next call.
locus_pool *resample_model(const locus_evals *evals, size_t model, const locus_resample_opts *opts,
                           const locus_run *run);
// Embeddings: row 0 the model's, below it resampled ones, none where its evaluations say nothing.
locus_points load_versions(const sample *x, size_t model);
size_t unlike(const sample *x, size_t a, size_t b, size_t *shared); // answers of the two, of those that both have

// -------------------------------------------------------------------------------------------------------- the commands

extern const char *const atlas_page[]; // the page of `locus atlas`, line by line, made from atlas.html; ends with NULL
extern const command info_command, embed_command, train_command, encode_command, predict_command, route_command,
    eval_command, compare_command, neighbours_command, cluster_command, portfolio_command, search_command,
    duplicates_command, atlas_command, next_command, explain_command, update_command, calibrate_command;

#endif
