// SPDX-License-Identifier: MIT
// locus: the command line of locus.h. Train, embed models, predict, route, evaluate, look into files. `locus --help`.
//
//     cc -O2 examples/locus.c -o build/locus -lm
//
// Exit status: 0 done, 1 failed, 2 wrong use. Results go to stdout or to the file of --out, which appears whole or not
// at all; errors and progress go to stderr.
//
// Contents: memory, messages and the terminal; the parser of flags; text files, CSV; arrays; net and pool;
// one section for each command; the tables of flags; main. locus_costs.h has what queries cost and the rules that use
// it, locus_frontier.h quality against money, locus_explore.h the commands that explore, compare and select,
// locus_pictures.h what they draw, locus_atlas.h the page of `locus atlas`.

#if !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1 // POSIX names under -std=c99
#endif
#define LOCUS_IMPLEMENTATION
#include "../locus.h"

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

// By their bits: -ffast-math takes isnan and isfinite out.
static int is_finite(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits & 0x7ff0000000000000u) != 0x7ff0000000000000u;
}

static int is_nan(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits & 0x7fffffffffffffffu) > 0x7ff0000000000000u;
}

// --------------------------------------------------------------------------------- memory, messages and the terminal
//
// One session per process. It owns everything that a command opens or allocates; main closes it, so that a command may
// return from anywhere.

typedef union block { // precedes each allocation
    union block *next;
    long double for_alignment;
} block;

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
#ifndef LOCUS_NO_THREADS
    locus_threads *threads;
#endif
    const locus_parallel *parallel;
    locus_error err;
    const char *task; // progress: what is going on, since when, when last shown
    double started, shown;
} session;

// "locus embed: ..." on stderr.
static void complain(const session *s, const char *format, va_list arguments)
{
    fprintf(stderr, "locus%s%s: ", s->command ? " " : "", s->command ? s->command : "");
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

PRINTF_LIKE(2, 3) static int fail(const session *s, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(s, format, arguments);
    va_end(arguments);
    return FAILED;
}

PRINTF_LIKE(2, 3) static int misuse(const session *s, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(s, format, arguments);
    va_end(arguments);
    fprintf(stderr, "See: locus%s%s --help\n", s->command ? " " : "", s->command ? s->command : "");
    return MISUSED;
}

// What the library says, with the flag (info has none) and the file that it is about, once.
static int fail_library(const session *s, const char *flag, const char *path)
{
    size_t length = strlen(path);
    int named = strncmp(s->err.message, path, length) == 0 && s->err.message[length] == ':';
    return fail(s, "%s%s%s%s%s", flag, *flag ? " " : "", named ? "" : path, named ? "" : ": ", s->err.message);
}

// Zeroed memory for count * size bytes, freed with the session; NULL (and a message) if there is none.
static void *take(session *s, size_t count, size_t size)
{
    block *b = NULL;
    if (size == 0 || count <= (SIZE_MAX - sizeof(block)) / size) b = (block *)calloc(1, sizeof(block) + count * size);
    if (!b) {
        fail(s, "out of memory: %zu x %zu bytes", count, size);
        return NULL;
    }
    b->next = s->blocks;
    s->blocks = b;
    return b + 1;
}

static void close_session(session *s)
{
    locus_train_destroy(s->trainer);
    locus_pool_destroy(s->pool);
    locus_net_destroy(s->net);
    if (s->net_file_open) locus_safetensors_close(&s->net_file);
    locus_text_destroy(s->text_encoder);
    locus_texts_close(&s->texts);
    locus_texts_close(&s->labels);
    while (s->array_count) locus_array_close(&s->arrays[--s->array_count]);
#ifndef LOCUS_NO_THREADS
    locus_threads_destroy(s->threads);
#endif
    while (s->blocks) {
        block *next = s->blocks->next;
        free(s->blocks);
        s->blocks = next;
    }
}

static int start_threads(session *s)
{
#ifndef LOCUS_NO_THREADS
    if (locus_threads_create(&s->threads, s->opt.threads, &s->err))
        return fail(s, "--threads %zu: %s", s->opt.threads, s->err.message);
    s->parallel = locus_threads_parallel(s->threads);
#else
    (void)s;
#endif
    return DONE;
}

static double seconds(void)
{
#if HAVE_POSIX
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
#else
    return (double)time(NULL);
#endif
}

static void progress_begin(session *s, const char *task)
{
    s->task = task;
    s->started = seconds();
    s->shown = 0.0;
}

// A line on the terminal, for work that takes more than a second; returns 0 (locus_encode_opts.progress: go on).
static int progress(void *user, size_t done, size_t total)
{
    session *s = (session *)user;
    double now = seconds(), elapsed = now - s->started;
    double share = total ? (double)done / (double)total : 1.0;
    if (elapsed < 1.0 || now - s->shown < 0.1 || share <= 0.0) return 0;
#if HAVE_POSIX
    if (!isatty(fileno(stderr))) return 0;
    s->shown = now;
    fprintf(stderr, "\r%s: %3.0f %%, %.0f s left    ", s->task, 100.0 * share, elapsed * (1.0 - share) / share);
    fflush(stderr);
#endif
    return 0;
}

static void progress_end(session *s)
{
    if (s->shown > 0.0) fprintf(stderr, "\r%110s\r", "");
}

// Bytes of the UTF-8 character at text; 0 if it is none.
static size_t utf8_bytes(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t n = c[0] < 0x80 ? 1 : c[0] < 0xC2 ? 0 : c[0] < 0xE0 ? 2 : c[0] < 0xF0 ? 3 : c[0] < 0xF5 ? 4 : 0;
    for (size_t i = 1; i < n; ++i)
        if ((c[i] & 0xC0) != 0x80) return 0;
    if ((c[0] == 0xE0 && c[1] < 0xA0) || (c[0] == 0xED && c[1] > 0x9F)) return 0; // overlong; surrogate
    if ((c[0] == 0xF0 && c[1] < 0x90) || (c[0] == 0xF4 && c[1] > 0x8F)) return 0; // overlong; beyond Unicode
    return n;
}

// Print text padded to `width` columns (negative: on the left), with control characters and bytes that are no UTF-8
// as '?': names come out of files. Returns the columns printed, taking one for each character.
static int print_text(const char *text, int width)
{
    int columns = 0;
    for (const char *c = text; *c; c += utf8_bytes(c) ? utf8_bytes(c) : 1) ++columns;
    if (width < -columns) printf("%*s", -width - columns, "");
    for (const char *c = text; *c;) {
        size_t n = utf8_bytes(c);
        int control = n == 0 || (n == 1 && ((unsigned char)*c < 0x20 || *c == 0x7F)) ||
                      (n == 2 && (unsigned char)c[0] == 0xC2 && (unsigned char)c[1] < 0xA0);
        if (control) putchar('?');
        else fwrite(c, 1, n, stdout);
        c += n ? n : 1;
    }
    if (width > columns) printf("%*s", width - columns, "");
    return columns;
}

static int text_width(const char *text)
{
    int columns = 0;
    for (; *text; text += utf8_bytes(text) ? utf8_bytes(text) : 1) ++columns;
    return columns;
}

static void json_string(const char *text)
{
    putchar('"');
    while (*text) {
        size_t n = utf8_bytes(text);
        if (n == 0) fputs("\\ufffd", stdout);
        else if (*text == '"' || *text == '\\') printf("\\%c", *text);
        else if ((unsigned char)*text < 0x20) printf("\\u%04x", (unsigned)*text);
        else fwrite(text, 1, n, stdout);
        text += n ? n : 1;
    }
    putchar('"');
}

// The shortest decimal that reads back as the same number (the same float, if is_float); null if it is not finite.
static void json_number(double value, int is_float)
{
    char text[40];
    for (int digits = 6; digits <= 17; ++digits) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        double back = strtod(text, NULL);
        if (is_float ? (float)back == (float)value : !(back < value) && !(back > value)) break;
    }
    fputs(is_finite(value) ? text : "null", stdout);
}

// Print JSON: ' in the format stands for ", %s for a string, %u for a size_t, %d for a double, %f for a float (passed
// as double), %b for a truth value, and %c for a comma unless its int is 0. The rest stands for itself.
static void json(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    for (; *format; ++format) {
        if (*format == '\'') putchar('"');
        else if (*format != '%') putchar(*format);
        else if (*++format == 's') json_string(va_arg(values, const char *));
        else if (*format == 'u') printf("%zu", va_arg(values, size_t));
        else if (*format == 'b') fputs(va_arg(values, int) ? "true" : "false", stdout);
        else if (*format == 'c') fputs(va_arg(values, int) ? "," : "", stdout);
        else json_number(va_arg(values, double), *format == 'f');
    }
    va_end(values);
}

// ------------------------------------------------------------------------------------------------ the parser of flags
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
// clang-format off
#define COMMON_FLAGS                                                                                         \
    {"--threads", "T", COUNT, AT(threads), 0, "threads to work with (default: one for each processor)"},     \
    {"--isa", "auto|scalar|avx2|avx512|neon", CHOICE, AT(isa), 0, "instruction set (default: the best one)"}, \
    {"--help", "", SWITCH, AT(help), 0, "this text"},                                                        \
    {NULL, NULL, SWITCH, 0, 0, NULL}
#define COST_FLAGS                                                                                                           \
    {"--costs", "C.npy", TEXT, AT(costs), 0, "what each query costs with each model, [models, queries]; NaN: unknown"},      \
    {"--prices", "PRICES.csv", TEXT, AT(prices), 0, "in its place the models' prices by token or by query: see below"},      \
    {"--tokens-in", "T.npy", TEXT, AT(tokens_in), 0, "tokens of each query (default: estimated from its words)"},            \
    {"--tokens-out", "N|T.npy", TEXT, AT(tokens_out), 0,                                                                     \
     "tokens of an answer: one number, or one for each query, each model or [models, queries] (default: 256)"},              \
    {"--allow-unpriced", "", SWITCH, AT(allow_unpriced), 0, "models of unknown cost may be chosen where costs count"},       \
    {"--available", "NAMES", TEXT, AT(available), 0, "only these models, separated by commas"},                              \
    {"--max-cost", "C", NUMBER, AT(max_cost), 0, "no model dearer than C"},                                                  \
    {"--lambda", "L", NUMBER, AT(lambda), 0, "price of cost: choose the highest p - L * cost"},                              \
    {"--budget", "B", NUMBER, AT(budget), 0, "choose L such that the mean cost over these queries is at most B"},            \
    {"--default", "NAME", TEXT, AT(default_model), 0,                                                                        \
     "take this model unless another gains more than the margin (default: the pool's guard)"},                               \
    {"--margin", "G", NUMBER, AT(margin), 0, "that margin, in p - L * cost (default: 0, or the guard's)"},                   \
    {"--no-default", "", SWITCH, AT(no_default), 0, "the likeliest model, whatever guard the pool has"}
// clang-format on

#define COST_HELP                                                                                                      \
    "PRICES.csv has a header line with \"name\" and input and output prices per million tokens (usd_in_per_m and\n"    \
    "usd_out_per_m, input_price_per_million, ...), or a \"cost\" per query; nothing in a field is unknown, not "       \
    "free.\n"                                                                                                          \
    "Tokens of a text: characters / 4, but each character of Chinese, Japanese or Korean.\n"

// Changes that make b out of a; capitals count as small letters.
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[256], n = strlen(b), previous, saved;
    if (n > 255) return SIZE_MAX;
    for (size_t j = 0; j <= n; ++j) row[j] = j;
    for (size_t i = 1; *a; ++a, ++i) {
        previous = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; ++j) {
            saved = row[j];
            size_t change = previous + (tolower((unsigned char)*a) != tolower((unsigned char)b[j - 1]));
            size_t shift = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = change < shift ? change : shift;
            previous = saved;
        }
    }
    return row[n];
}

// Keep in *best the candidate nearest to word, if it is near enough to be what was meant.
static void consider(const char *word, const char *candidate, const char **best, size_t *distance)
{
    size_t length = strlen(word), d = edit_distance(word, candidate);
    if (length > 3 && strncmp(word, candidate, length) == 0) d = 1; // the beginning of it
    if (d < *distance && d <= 1 + length / 4) {
        *best = candidate;
        *distance = d;
    }
}

// Place of `value` among the words "one|two|three", or -1.
static int find_word(const char *words, const char *value)
{
    size_t length = strlen(value);
    for (int place = 0; words; ++place) {
        const char *bar = strchr(words, '|');
        size_t n = bar ? (size_t)(bar - words) : strlen(words);
        if (n == length && memcmp(words, value, n) == 0) return place;
        words = bar ? bar + 1 : NULL;
    }
    return -1;
}

// The whole text as a finite number. 0 if it is none.
static int read_number(const char *text, double *value)
{
    char *end;
    if (!((*text >= '0' && *text <= '9') || *text == '-' || *text == '+' || *text == '.')) return 0;
    *value = strtod(text, &end);
    return *end == '\0' && is_finite(*value);
}

static int read_count(const char *text, size_t *value)
{
    size_t v = 0;
    if (*text == '\0') return 0;
    for (; *text; ++text) {
        if (*text < '0' || *text > '9' || v > (SIZE_MAX - 9) / 10) return 0;
        v = v * 10 + (size_t)(*text - '0');
    }
    *value = v;
    return 1;
}

static int set_flag(session *s, const flag *f, const char *value)
{
    void *target = (char *)&s->opt + f->target;
    if (f->kind == SWITCH) {
        *(int *)target = 1;
    } else if (f->kind == TEXT || f->kind == POSITION) {
        if (*value == '\0') return misuse(s, "%s: the value is empty", f->name);
        *(const char **)target = value;
    } else if (f->kind == COUNT) {
        if (!read_count(value, (size_t *)target) || *(size_t *)target == 0)
            return misuse(s, "%s: expected a whole number from 1, found \"%s\"", f->name, value);
    } else if (f->kind == NUMBER) {
        if (!read_number(value, (double *)target) || *(double *)target < 0.0)
            return misuse(s, "%s: expected a number from 0, found \"%s\"", f->name, value);
    } else {
        int place = find_word(f->argument, value);
        if (place < 0) return misuse(s, "%s: expected %s, found \"%s\"", f->name, f->argument, value);
        *(int *)target = place + (f->kind == CHOICE_1);
    }
    return DONE;
}

static int parse_flags(session *s, const command *c, int argc, char **argv)
{
    unsigned long long given = 0; // bit i: flag i of the table
    for (int i = 0; i < argc; ++i) {
        const char *word = argv[i], *equals = strchr(word, '='), *value = NULL, *nearest = NULL;
        int named = word[0] == '-' && word[1] != '\0';
        size_t length = named && equals ? (size_t)(equals - word) : strlen(word), distance = SIZE_MAX, k = 0;
        if (strcmp(word, "-h") == 0) word = "--help", length = 6;
        for (; c->flags[k].name; ++k) {
            const flag *f = &c->flags[k];
            if (!named && f->kind == POSITION && !(given >> k & 1)) break;
            if (named && strlen(f->name) == length && memcmp(f->name, word, length) == 0) break;
            if (named) consider(word, f->name, &nearest, &distance);
        }
        const flag *f = &c->flags[k];
        if (!f->name && !named) return misuse(s, "unexpected \"%s\"", word);
        if (!f->name)
            return misuse(s, "unknown flag %s%s%s%s", word, nearest ? " (did you mean " : "", nearest ? nearest : "",
                          nearest ? "?)" : "");
        if (given >> k & 1) return misuse(s, "%s is given twice", f->name);
        given |= 1ull << k;
        if (f->kind == POSITION) {
            value = word;
        } else if (f->kind == SWITCH) {
            if (equals) return misuse(s, "%s takes no value", f->name);
        } else if (equals) {
            value = equals + 1;
        } else {
            if (i + 1 >= argc || strncmp(argv[i + 1], "--", 2) == 0)
                return misuse(s, "%s needs a value: %s", f->name, f->argument);
            value = argv[++i];
        }
        if (set_flag(s, f, value)) return MISUSED;
    }
    if (s->opt.help) return DONE;
    for (size_t k = 0; c->flags[k].name; ++k)
        if (c->flags[k].required && !(given >> k & 1))
            return misuse(s, "%s%s%s is required: %s", c->flags[k].name, *c->flags[k].argument ? " " : "",
                          c->flags[k].argument, c->flags[k].help);
    if (s->opt.threads > 1024) return misuse(s, "--threads: expected at most 1024, found %zu", s->opt.threads);
    if (s->opt.isa != LOCUS_ISA_AUTO && !locus_isa_supported((locus_isa)s->opt.isa))
        return fail(s, "--isa %s: this machine does not have it", locus_isa_name((locus_isa)s->opt.isa));
    return DONE;
}

static void print_help(const command *c)
{
    int column = printf("locus %s", c->name);
    for (const flag *f = c->flags; f->name; ++f) {
        char text[128];
        snprintf(text, sizeof text, f->required ? "%s%s%s" : "[%s%s%s]", f->name, *f->argument ? " " : "", f->argument);
        if (column + 1 + (int)strlen(text) > 100) column = printf("\n         ") - 1;
        column += printf(" %s", text);
    }
    printf("\n\n%s\n\n", c->summary);
    for (const flag *f = c->flags; f->name; ++f) {
        char text[128];
        snprintf(text, sizeof text, "%s%s%s", f->name, *f->argument ? " " : "", f->argument);
        if (strlen(text) > 34) printf("  %s\n  %-34s  %s\n", text, "", f->help);
        else printf("  %-34s  %s\n", text, f->help);
    }
    printf("\n%s", c->more);
}

// --------------------------------------------------------------------------------------------------------- text files

// The whole file, terminated; with a NUL byte in it it is no text.
static int read_text(session *s, const char *flag_name, const char *path, char **text)
{
    size_t capacity = 1 << 16, used = 0;
    char *data = (char *)take(s, capacity, 1);
    FILE *f = data ? fopen(path, "rb") : NULL;
    if (!data) return FAILED;
    if (!f) return fail(s, "%s %s: the file cannot be opened", flag_name, path);
    for (;;) {
        used += fread(data + used, 1, capacity - 1 - used, f);
        if (used < capacity - 1) break;
        char *larger = capacity > SIZE_MAX / 2 ? NULL : (char *)take(s, capacity *= 2, 1);
        if (!larger) {
            fclose(f);
            return FAILED;
        }
        memcpy(larger, data, used);
        data = larger;
    }
    int bad = ferror(f);
    fclose(f);
    data[used] = '\0';
    if (bad) return fail(s, "%s %s: the file cannot be read", flag_name, path);
    if (strlen(data) != used) return fail(s, "%s %s: expected a text file, found a NUL byte", flag_name, path);
    *text = strncmp(data, "\xEF\xBB\xBF", 3) == 0 ? data + 3 : data; // skip a byte order mark
    return DONE;
}

// A text file that appears whole or not at all.
static FILE *text_begin(session *s, const char *path, char temporary[4096])
{
    snprintf(temporary, 4096, "%.4080s.tmp", path);
    FILE *f = fopen(temporary, "wb");
    if (!f) fail(s, "%s: the file cannot be written", path);
    return f;
}

static int text_end(session *s, FILE *f, const char *temporary, const char *path)
{
    int bad = ferror(f) | fclose(f);
#ifdef _WIN32
    if (!bad) remove(path);
#endif
    if (!bad && rename(temporary, path) == 0) return DONE;
    remove(temporary);
    return fail(s, "%s: the file cannot be written", path);
}

// Cut the next field out of CSV text, in place. Returns what follows it: ',', '\n' (also at the end of the text), or 0
// where a quote is out of place.
static char csv_field(char **cursor, char **field, size_t *line)
{
    char *in = *cursor, *out = *cursor, end;
    int open = *in == '"';
    *field = out;
    if (open) {
        while (open && *++in) {
            if (*in == '"' && *++in != '"') open = 0; // the closing quote; a doubled one stands for itself
            else if (*in == '\n') ++*line;
            if (open) *out++ = *in;
        }
        if (open) return 0;
    } else {
        while (*in && *in != ',' && *in != '\n' && *in != '\r') *out++ = *in++;
    }
    if (in[0] == '\r' && (in[1] == '\n' || in[1] == '\0')) ++in;
    end = *in;
    if (end != ',' && end != '\n' && end != '\0') return 0;
    *cursor = end ? in + 1 : in;
    *out = '\0';
    if (end == '\n') ++*line;
    return end ? end : '\n';
}

// Names and data of the m models of --models (m are expected: they are `what`); model-0, model-1, ... without it.
static int load_models(session *s, size_t m, const char *what, locus_model **out)
{
    enum { COLUMNS = 256 };
    static const char *const known[] = {"name", "params_b", "cost", "available"};
    const char *path = s->opt.models;
    signed char role[COLUMNS]; // of each column: index in `known`, or -1
    char *text = NULL, *field = NULL, end = '\n';
    size_t columns = 0, found = 0, line = 1, seen[4] = {0, 0, 0, 0};
    locus_model *models = (locus_model *)take(s, m, sizeof *models);
    if (!models) return FAILED;
    *out = models;
    for (size_t i = 0; i < m; ++i) {
        snprintf(models[i].name, sizeof models[i].name, "model-%zu", i);
        models[i].parameters_b = NAN;
        models[i].cost = NAN; // unknown
        models[i].available = 1;
    }
    if (!path) return DONE;
    if (read_text(s, "--models", path, &text)) return FAILED;
    do {
        end = csv_field(&text, &field, &line);
        if (!end || columns == COLUMNS) return fail(s, "--models %s: the header line is malformed", path);
        role[columns] = -1;
        for (int k = 0; k < 4; ++k)
            if (strcmp(field, known[k]) == 0) {
                if (seen[k]++) return fail(s, "--models %s: column %s occurs twice", path, field);
                role[columns] = (signed char)k;
            }
        ++columns;
    } while (end == ',');
    if (!seen[0]) return fail(s, "--models %s: expected a header line with a column \"name\"", path);
    while (*text) {
        size_t here = line, c = 0;
        locus_model model;
        memset(&model, 0, sizeof model);
        model.parameters_b = NAN;
        model.cost = NAN;
        model.available = 1;
        do {
            double v = 0.0;
            end = csv_field(&text, &field, &line);
            if (!end) return fail(s, "--models %s: line %zu: a quote is out of place", path, here);
            if (c == 0 && end == '\n' && *field == '\0') break; // an empty line
            if (c == columns)
                return fail(s, "--models %s: line %zu: expected %zu fields, found more", path, here, columns);
            int k = role[c++];
            if (k == 0) {
                if (strlen(field) >= sizeof model.name)
                    return fail(s, "--models %s: line %zu: name: expected at most %zu bytes, found %zu", path, here,
                                sizeof model.name - 1, strlen(field));
                strcpy(model.name, field);
            } else if (k > 0 && *field) {
                if (k == 3 && strcmp(field, "true") == 0) v = 1.0;
                else if (k == 3 && strcmp(field, "false") == 0) v = 0.0;
                else if (!read_number(field, &v) || v < 0.0 || v > FLT_MAX ||
                         (k == 3 && v > 0.0 && (v < 1.0 || v > 1.0)))
                    return fail(s, "--models %s: line %zu: %s: expected %s, found \"%s\"", path, here, known[k],
                                k == 3 ? "0, 1, true or false" : "a number from 0 or nothing", field);
                if (k == 1) model.parameters_b = (float)v;
                if (k == 2) model.cost = v;
                if (k == 3) model.available = v > 0.0;
            }
        } while (end == ',');
        if (c == 0) continue;
        if (c != columns)
            return fail(s, "--models %s: line %zu: expected %zu fields, found %zu", path, here, columns, c);
        if (model.name[0] == '\0') return fail(s, "--models %s: line %zu: the name is empty", path, here);
        for (size_t i = 0; i < found && i < m; ++i)
            if (strcmp(models[i].name, model.name) == 0)
                return fail(s, "--models %s: line %zu: the name %s occurs twice", path, here, model.name);
        if (found < m) models[found] = model;
        ++found;
    }
    if (found != m) return fail(s, "--models %s: expected %zu models (%s), found %zu", path, m, what, found);
    return DONE;
}

// ------------------------------------------------------------------------------------------------------------- arrays

static const char *dtype_name(locus_dtype dtype)
{
    static const char *const names[] = {"?", "u1", "b1", "i4", "i8", "f2", "bf16", "f4", "f8"};
    return (size_t)dtype < sizeof names / sizeof *names ? names[dtype] : "?";
}

// "[33, 12032]"
static const char *shape_text(const size_t *shape, size_t rank, char text[240])
{
    size_t used = (size_t)snprintf(text, 240, "[");
    for (size_t i = 0; i < rank; ++i)
        used += (size_t)snprintf(text + used, 240 - used, "%s%zu", i ? ", " : "", shape[i]);
    snprintf(text + used, 240 - used, "]");
    return text;
}

static int open_array(session *s, const char *flag_name, const char *path, size_t rank, const char *meaning,
                      const locus_array **out)
{
    char found[240];
    locus_array *a = &s->arrays[s->array_count];
    if (locus_npy_open(a, path, &s->err)) return fail_library(s, flag_name, path);
    ++s->array_count;
    if (a->rank != rank)
        return fail(s, "%s %s: expected %s, found %s", flag_name, path, meaning, shape_text(a->shape, a->rank, found));
    *out = a;
    return DONE;
}

static int is_integer(const locus_array *a)
{
    return a->dtype == LOCUS_U8 || a->dtype == LOCUS_I32 || a->dtype == LOCUS_I64;
}

static int64_t integer_at(const locus_array *a, size_t i)
{
    if (a->dtype == LOCUS_I64) return ((const int64_t *)a->data)[i];
    if (a->dtype == LOCUS_I32) return ((const int32_t *)a->data)[i];
    return ((const unsigned char *)a->data)[i];
}

// A list of different places below `limit`; *out is NULL if path is.
static int load_places(session *s, const char *flag_name, const char *path, size_t limit, const char *what,
                       size_t **out, size_t *count)
{
    const locus_array *a = NULL;
    *out = NULL;
    *count = limit;
    if (!path) return DONE;
    if (open_array(s, flag_name, path, 1, "a list of whole numbers", &a)) return FAILED;
    if (!is_integer(a))
        return fail(s, "%s %s: expected whole numbers (u1, i4, i8), found %s", flag_name, path, dtype_name(a->dtype));
    size_t *places = (size_t *)take(s, a->count, sizeof *places);
    unsigned char *used = (unsigned char *)take(s, limit, 1);
    if (!places || !used) return FAILED;
    for (size_t i = 0; i < a->count; ++i) {
        int64_t v = integer_at(a, i);
        if (v < 0 || (uint64_t)v >= limit)
            return fail(s, "%s %s: element %zu: expected 0 to %zu (%s), found %lld", flag_name, path, i,
                        limit ? limit - 1 : 0, what, (long long)v);
        if (used[v]++) return fail(s, "%s %s: element %zu: %lld occurs twice", flag_name, path, i, (long long)v);
        places[i] = (size_t)v;
    }
    *out = places;
    *count = a->count;
    return DONE;
}

// Scores or a mask: one of the two pointers is set. In place where nothing has to be picked or converted.
typedef struct grades {
    size_t models, n;
    const float *f32;
    const unsigned char *u8;
} grades;

static int open_grades(session *s, const char *flag_name, const char *path, const locus_array **out)
{
    return open_array(s, flag_name, path, 2, "[models, queries]", out);
}

// Pick rows and columns (NULL: all) of a [models, queries] array.
static int pick_grades(session *s, const locus_array *a, const size_t *rows, size_t row_count, const size_t *columns,
                       size_t column_count, grades *out)
{
    size_t n = a->shape[1];
    int bytes = a->dtype == LOCUS_U8 || a->dtype == LOCUS_BOOL;
    memset(out, 0, sizeof *out);
    out->models = row_count;
    out->n = column_count;
    if (!rows && !columns && a->dtype == LOCUS_U8) out->u8 = (const unsigned char *)a->data;
    if (!rows && !columns && a->dtype == LOCUS_F32) out->f32 = (const float *)a->data;
    if (out->u8 || out->f32) return DONE;
    if (column_count && row_count > SIZE_MAX / column_count) return fail(s, "out of memory");
    unsigned char *u8 = bytes ? (unsigned char *)take(s, row_count * column_count, 1) : NULL;
    float *f32 = bytes ? NULL : (float *)take(s, row_count * column_count, sizeof(float));
    float *line = bytes ? NULL : (float *)take(s, n, sizeof(float));
    if (bytes ? !u8 : !f32 || !line) return FAILED;
    for (size_t r = 0; r < row_count; ++r) {
        size_t first = (rows ? rows[r] : r) * n;
        if (!bytes && locus_array_to_f32(a, first, n, line, &s->err)) return fail(s, "%s", s->err.message);
        for (size_t c = 0; c < column_count; ++c) {
            size_t from = columns ? columns[c] : c;
            if (bytes) {
                unsigned char v = ((const unsigned char *)a->data)[first + from];
                u8[r * column_count + c] = a->dtype == LOCUS_BOOL ? v != 0 : v;
            } else {
                f32[r * column_count + c] = line[from];
            }
        }
    }
    out->u8 = u8;
    out->f32 = f32;
    return DONE;
}

static int is_missing(const grades *g, size_t model, size_t query)
{
    size_t at = model * g->n + query;
    return g->u8 ? g->u8[at] == 255 : is_nan(g->f32[at]) != 0;
}

// "--encodings Q.npy" or "--text FILE": for messages.
static const char *queries_name(session *s)
{
    const char *path = s->opt.encodings ? s->opt.encodings : s->opt.text_file ? s->opt.text_file : "";
    char *name = (char *)take(s, strlen(path) + 16, 1);
    if (!name) return path;
    sprintf(name, "%s%s", s->opt.encodings ? "--encodings " : s->opt.text_file ? "--text " : "--text", path);
    return name;
}

// The texts of --text as an array of their encodings.
static int encode_texts(session *s, const locus_text *encoder, const locus_array **out)
{
    const locus_texts *t = &s->texts;
    locus_array *a = &s->arrays[s->array_count];
    float *to = (float *)take(s, t->count, encoder->dim * sizeof *to);
    if (!to) return FAILED;
    for (size_t i = 0; i < t->count; ++i)
        if (locus_encode_text(encoder, t->texts[i], t->bytes[i], to + i * encoder->dim, &s->err))
            return fail_library(s, "--text", s->opt.text_file);
    memset(a, 0, sizeof *a);
    a->dtype = LOCUS_F32;
    a->rank = 2;
    for (size_t i = 0; i < 8; ++i) a->shape[i] = 1;
    a->shape[0] = t->count;
    a->shape[1] = encoder->dim;
    a->count = t->count * encoder->dim;
    a->data = to;
    ++s->array_count;
    *out = a;
    return DONE;
}

static int open_texts(session *s)
{
    if (s->opt.encodings && s->opt.text_file) return misuse(s, "--encodings and --text exclude each other");
    if (!s->opt.encodings && !s->opt.text_file)
        return misuse(s, "--encodings Q.npy or --text FILE.jsonl is required: the queries");
    if (s->opt.text_file && locus_texts_open(&s->texts, s->opt.text_file, &s->err))
        return fail_library(s, "--text", s->opt.text_file);
    for (size_t i = 0; i < s->texts.count; ++i)
        if (!s->texts.texts[i]) return fail(s, "--text %s: query %zu has no \"text\"", s->opt.text_file, i);
    return DONE;
}

// The text encoder that the net carries, or a message that it has none.
static const locus_text *net_text(session *s)
{
    const locus_text *encoder = locus_net_text(s->net);
    if (!encoder)
        fail(s, "--text: this net reads encodings of %s%s%s: give them with --encodings",
             s->info.query_encoder[0] ? "\"" : "another encoder", s->info.query_encoder,
             s->info.query_encoder[0] ? "\"" : "");
    return encoder;
}

static int open_encodings(session *s, const locus_array **out)
{
    char meaning[80], found[240];
    int status = open_texts(s);
    if (status) return status;
    if (s->opt.text_file) {
        const locus_text *encoder = net_text(s);
        return encoder ? encode_texts(s, encoder, out) : FAILED;
    }
    snprintf(meaning, sizeof meaning, "[queries, %zu]", s->info.q_dim);
    if (open_array(s, "--encodings", s->opt.encodings, 2, meaning, out)) return FAILED;
    if ((*out)->shape[1] != s->info.q_dim)
        return fail(s, "--encodings %s: expected %s (the q_dim of the net), found %s", s->opt.encodings, meaning,
                    shape_text((*out)->shape, 2, found));
    return DONE;
}

// Rows of the encodings as floats: rows[first], rows[first + 1], ..., or just the rows from `first` where rows is NULL.
// In place where possible, else in buffer.
static const float *encoding_rows(session *s, const locus_array *a, const size_t *rows, size_t first, size_t count,
                                  float *buffer)
{
    size_t d = a->shape[1];
    if (!rows && a->dtype == LOCUS_F32) return (const float *)a->data + first * d;
    for (size_t i = 0; i < count; ++i)
        if (locus_array_to_f32(a, (rows ? rows[first + i] : first + i) * d, d, buffer + i * d, &s->err)) return NULL;
    return buffer;
}

static int has_ending(const char *path, const char *ending)
{
    size_t n = strlen(path), k = strlen(ending);
    return n > k && strcmp(path + n - k, ending) == 0;
}

static int is_npy(const char *path)
{
    char magic[6] = {0, 0, 0, 0, 0, 0};
    FILE *f = fopen(path, "rb");
    if (!f) return has_ending(path, ".npy");
    size_t n = fread(magic, 1, sizeof magic, f);
    fclose(f);
    return n == sizeof magic && memcmp(magic, "\x93NUMPY", 6) == 0;
}

// ------------------------------------------------------------------------------------------------------- net and pool

static int make_net(session *s, const char *flag_name, const char *path, int predictor_only)
{
    locus_net_opts opts;
    memset(&opts, 0, sizeof opts);
    opts.isa = (locus_isa)s->opt.isa;
    opts.predictor_only = predictor_only;
    if (locus_net_create(&s->net, &s->net_file, &opts, &s->err)) return fail_library(s, flag_name, path);
    s->info = locus_net_get_info(s->net);
    return DONE;
}

static int open_net(session *s, const char *flag_name, const char *path, int predictor_only)
{
    if (locus_safetensors_open(&s->net_file, path, &s->err)) return fail_library(s, flag_name, path);
    s->net_file_open = 1;
    return make_net(s, flag_name, path, predictor_only);
}

// A pool of the rows of an array [models, z_dim].
static int pool_from_array(session *s, const char *path)
{
    char meaning[80], found[240];
    const locus_array *a = NULL;
    locus_model *models = NULL;
    snprintf(meaning, sizeof meaning, "[models, %zu]", s->info.z_dim);
    if (open_array(s, "--pool", path, 2, meaning, &a)) return FAILED;
    if (a->shape[1] != s->info.z_dim)
        return fail(s, "--pool %s: expected %s (the z_dim of the net), found %s", path, meaning,
                    shape_text(a->shape, 2, found));
    float *z = (float *)take(s, s->info.z_dim, sizeof *z);
    if (!z || load_models(s, a->shape[0], "the rows of --pool", &models)) return FAILED;
    if (locus_pool_create(&s->pool, s->net, a->shape[0], NULL, NULL, 0, &s->err))
        return fail_library(s, "--pool", path);
    for (size_t i = 0; i < a->shape[0]; ++i)
        if (locus_array_to_f32(a, i * s->info.z_dim, s->info.z_dim, z, &s->err) ||
            locus_pool_add(s->pool, &models[i], z, NULL, &s->err))
            return fail_library(s, "--pool", path);
    return DONE;
}

// --net and --pool; either may be left out if the other is a router file, and --router stands for both.
static int open_net_and_pool(session *s, int predictor_only)
{
    const options *o = &s->opt;
    const char *either = o->router ? o->router : o->net ? o->net : o->pool;
    const char *net = o->net ? o->net : either, *pool = o->pool ? o->pool : either;
    if (!either) return misuse(s, "--net and --pool are required (or --router with a file that holds both)");
    if (o->router && o->net && o->pool) return misuse(s, "--router stands for --net and --pool: leave it or them out");
    if (is_npy(pool) && !o->net && !o->router) return misuse(s, "--pool %s: an array needs a --net", pool);
    if (open_net(s, net == o->net ? "--net" : o->router ? "--router" : "--pool", net, predictor_only)) return FAILED;
    if (is_npy(pool)) return pool_from_array(s, pool);
    if (locus_pool_open(&s->pool, s->net, pool, &s->err))
        return fail_library(s, pool == o->pool ? "--pool" : o->router ? "--router" : "--net", pool);
    return DONE;
}

// logits[n, models] of the rows of the encodings (see encoding_rows), a batch at a time.
static int predict_rows(session *s, const locus_array *a, const size_t *rows, size_t first, size_t n, float *logits)
{
    size_t batch = n < 1024 ? n : 1024, m = locus_pool_count(s->pool);
    size_t bytes = locus_predict_workspace(s->pool, batch, s->parallel);
    float *buffer = (float *)take(s, batch, s->info.q_dim * sizeof *buffer);
    void *work = take(s, bytes, 1);
    if (!buffer || !work) return FAILED;
    progress_begin(s, "predict");
    for (size_t i = 0; i < n; i += batch) {
        locus_queries q;
        memset(&q, 0, sizeof q);
        q.count = n - i < batch ? n - i : batch;
        q.dim = s->info.q_dim;
        q.encodings = encoding_rows(s, a, rows, first + i, q.count, buffer);
        if (!q.encodings || locus_predict(s->pool, &q, logits + i * m, s->parallel, work, bytes, &s->err)) {
            progress_end(s);
            return fail(s, "%s: %s%s", queries_name(s), s->err.message,
                        rows || first + i ? " (counted within a batch of the queries in use)" : "");
        }
        progress(s, i + q.count, n);
    }
    progress_end(s);
    return DONE;
}

// "model X is not in the pool", with the nearest name.
static int fail_name(const session *s, const char *flag_name, const char *name)
{
    const char *nearest = NULL;
    size_t distance = SIZE_MAX;
    for (size_t i = 0; i < locus_pool_count(s->pool); ++i)
        consider(name, locus_pool_model(s->pool, i)->name, &nearest, &distance);
    return fail(s, "%s: the pool has no model \"%s\"%s%s%s", flag_name, name, nearest ? " (did you mean " : "",
                nearest ? nearest : "", nearest ? "?)" : "; `locus info` lists its models");
}

static int longest_name(const session *s)
{
    int longest = 5;
    for (size_t i = 0; i < locus_pool_count(s->pool); ++i) {
        int width = text_width(locus_pool_model(s->pool, i)->name);
        if (width > longest) longest = width;
    }
    return longest < 60 ? longest : 60;
}

// --------------------------------------------------------------------------------------------------------------- info

static void info_net(const session *s)
{
    const locus_net_info *i = &s->info;
    const char *kind = i->encoder_kind == LOCUS_SAB ? "sab" : "isab";
    char hash[20];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)i->hash);
    if (s->opt.json) {
        json(",'net':{'q_dim':%u,'z_dim':%u,'n_heads':%u,'n_layers':%u,'m_induce':%u,'decoder_hidden':%u,", i->q_dim,
             i->z_dim, i->n_heads, i->n_layers, i->m_induce, i->decoder_hidden);
        json("'encoder_kind':%s,'has_encoder':%b,'hash':%s,'query_encoder':%s,'parameters':%u,'bytes':%u,'isa':%s}",
             kind, i->has_encoder, hash, i->query_encoder, i->parameters, i->bytes, locus_isa_name(i->isa));
        return;
    }
    printf("\nnet\n  queries        q_dim %zu, query encoder: ", i->q_dim);
    print_text(i->query_encoder[0] ? i->query_encoder : "not named", 0);
    printf("\n  embeddings     z_dim %zu\n", i->z_dim);
    if (!i->has_encoder) printf("  encoder        none: it can predict and route, not embed\n");
    else if (i->encoder_kind == LOCUS_SAB)
        printf("  encoder        sab, %zu layers, %zu heads\n", i->n_layers, i->n_heads);
    else
        printf("  encoder        isab, %zu layers, %zu heads, %zu inducing vectors\n", i->n_layers, i->n_heads,
               i->m_induce);
    printf("  predictor      hidden width %zu\n", i->decoder_hidden);
    printf("  weights        %zu, %.1f MB in memory, %s kernels\n", i->parameters, 1e-6 * (double)i->bytes,
           locus_isa_name(i->isa));
    printf("  hash           %s\n", hash);
}

static const char *cost_text(char text[32], double cost);

// Element i of a tensor F64.
static double double_at(const locus_tensor *t, size_t i)
{
    const unsigned char *b = (const unsigned char *)t->data + 8 * i;
    uint64_t bits = 0;
    double v;
    for (int k = 7; k >= 0; --k) bits = bits << 8 | b[k];
    memcpy(&v, &bits, sizeof v);
    return v;
}

// The models of a pool file whose net is not at hand, from its tensors (see >>pool in locus.h).
static int read_pool(session *s, locus_model **models, size_t *count)
{
    const locus_safetensors *st = &s->net_file;
    const locus_tensor *z = locus_safetensors_find(st, "pool.embeddings"), *t[5];
    static const char *const names[] = {"pool.names", "pool.parameters_b", "pool.cost", "pool.available",
                                        "pool.evaluations"};
    static const locus_dtype dtypes[] = {LOCUS_U8, LOCUS_F32, LOCUS_F64, LOCUS_U8, LOCUS_I64};
    size_t m = z->shape[0], at = 0;
    for (int k = 0; k < 5; ++k) {
        t[k] = locus_safetensors_find(st, names[k]);
        if (!t[k] || (t[k]->dtype != dtypes[k] && !(k == 2 && t[k]->dtype == LOCUS_F32)) || t[k]->rank != 1 ||
            (k && t[k]->count != m))
            return fail(s, "%s: %s: missing, or not of the shape and type of a pool's", s->opt.file, names[k]);
    }
    if (!(*models = (locus_model *)take(s, m, sizeof **models))) return FAILED;
    *count = m;
    const char *text = (const char *)t[0]->data;
    for (size_t i = 0; i < m; ++i) {
        locus_model *model = &(*models)[i];
        const unsigned char *e = (const unsigned char *)t[4]->data + 8 * i;
        size_t n = 0;
        while (at + n < t[0]->bytes && text[at + n]) ++n;
        if (at + n == t[0]->bytes || n >= sizeof model->name)
            return fail(s, "%s: pool.names: expected %zu names", s->opt.file, m);
        memcpy(model->name, text + at, n);
        at += n + 1;
        float cost = NAN;
        if (locus_tensor_to_f32(t[1], i, 1, &model->parameters_b, &s->err) ||
            locus_tensor_to_f32(t[2], i, 1, &cost, &s->err))
            return fail_library(s, "", s->opt.file);
        model->cost = t[2]->dtype == LOCUS_F64 ? double_at(t[2], i) : (double)cost;
        model->available = ((const unsigned char *)t[3]->data)[i];
        for (int b = 7; b >= 0; --b) model->evaluations = model->evaluations << 8 | e[b];
    }
    return DONE;
}

// What a file's memory is: scalars, of which files before 0.4 have two, sizes, and whether there is one.
typedef struct memory_said {
    size_t landmarks, queries;
    float scalars[6]; // weight, mean, pull, own, noise, rest
    int now;          // 1: as this version makes them; 0: of version 0.2 or 0.3
} memory_said;

static int read_memory(session *s, memory_said *out)
{
    const locus_tensor *landmarks = locus_safetensors_find(&s->net_file, "memory.landmarks");
    const locus_tensor *known = locus_safetensors_find(&s->net_file, "memory.known");
    const locus_tensor *scalars = locus_safetensors_find(&s->net_file, "memory.scalars");
    memset(out, 0, sizeof *out);
    if (!landmarks || !known || !scalars || (scalars->count != 2 && scalars->count != 6)) return 0;
    out->landmarks = landmarks->shape[0];
    out->queries = known->shape[0];
    out->now = scalars->count == 6;
    return locus_tensor_to_f32(scalars, 0, scalars->count, out->scalars, &s->err) == LOCUS_OK;
}

static int info_pool(session *s)
{
    memory_said memory;
    locus_model *models = NULL;
    size_t m = 0;
    const char *encoder = locus_safetensors_meta(&s->net_file, "locus.query_encoder");
    const char *hash = locus_safetensors_meta(&s->net_file, "locus.net_hash");
    const locus_tensor *guard = locus_safetensors_find(&s->net_file, "pool.guard");
    size_t guarding = SIZE_MAX;
    double margin = 0.0;
    int width = 5;
    if (read_pool(s, &models, &m)) return FAILED;
    if (guard && guard->dtype == LOCUS_F64 && guard->count == 2) {
        double index = double_at(guard, 0);
        margin = double_at(guard, 1);
        if (index >= 0.0 && index < (double)m) guarding = (size_t)index;
    }
    if (!encoder) encoder = "";
    if (!hash) hash = "";
    if (s->opt.json) {
        json(",'pool':{'net_hash':%s,'query_encoder':%s,'guard':", hash, encoder);
        if (guarding == SIZE_MAX) json("null");
        else json("{'model':%s,'margin':%d}", models[guarding].name, margin);
        json(",'memory':");
        if (!read_memory(s, &memory)) json("null");
        else
            json("{'landmarks':%u,'queries':%u,'weight':%f,'gives':%s}", memory.landmarks, memory.queries,
                 (double)memory.scalars[0], memory.now ? "chances" : "logits");
        json(",'models':[");
        for (size_t i = 0; i < m; ++i)
            json("%c{'name':%s,'params_b':%f,'cost':%d,'available':%b,'evaluations':%u}", i > 0, models[i].name,
                 (double)models[i].parameters_b, models[i].cost, models[i].available, (size_t)models[i].evaluations);
        json("]}");
        return DONE;
    }
    printf("\npool\n  models         %zu\n  made with      net ", m);
    print_text(hash, 0);
    printf(", query encoder: ");
    print_text(encoder[0] ? encoder : "not named", 0);
    if (read_memory(s, &memory))
        printf("\n  memory         of %zu queries, %zu landmarks, weight %.2g%s", memory.queries, memory.landmarks,
               (double)memory.scalars[0], memory.now ? "" : " (made by version 0.3 or before)");
    if (guarding != SIZE_MAX) {
        printf("\n  guard          ");
        print_text(models[guarding].name, 0);
        printf(" stays unless another gains more than %.4g", margin);
    }
    for (size_t i = 0; i < m; ++i)
        if (text_width(models[i].name) > width) width = text_width(models[i].name);
    printf("\n\n  %5s  ", "index");
    print_text("model", width);
    printf("  %10s  %10s  %9s  %11s\n", "params (B)", "cost", "available", "evaluations");
    for (size_t i = 0; i < m && (i < 40 || s->opt.all); ++i) {
        char parameters[32] = "-", evaluations[32] = "-", cost[32];
        if (!is_nan(models[i].parameters_b))
            snprintf(parameters, sizeof parameters, "%g", (double)models[i].parameters_b);
        if (models[i].evaluations) snprintf(evaluations, sizeof evaluations, "%zu", (size_t)models[i].evaluations);
        printf("  %5zu  ", i);
        print_text(models[i].name, width);
        printf("  %10s  %10s  %9s  %11s\n", parameters, cost_text(cost, models[i].cost),
               models[i].available ? "yes" : "no", evaluations);
    }
    if (m > 40 && !s->opt.all) printf("  ... and %zu more (--all)\n", m - 40);
    return DONE;
}

static void info_tensors(const session *s)
{
    const locus_safetensors *st = &s->net_file;
    size_t count = st->tensor_count, shown = s->opt.all || count <= 8 ? count : 8;
    char shape[240];
    if (s->opt.json) {
        json(",'metadata':{");
        for (size_t i = 0; i < st->metadata_count; ++i)
            json("%c%s:%s", i > 0, st->metadata[i].key, st->metadata[i].value);
        json("},'tensors':[");
        for (size_t i = 0; i < count; ++i) {
            const locus_tensor *t = &st->tensors[i];
            json("%c{'name':%s,'dtype':%s,'bytes':%u,'shape':", i > 0, t->name, t->dtype_name, t->bytes);
            printf("%s}", shape_text(t->shape, t->rank, shape));
        }
        json("]");
        return;
    }
    for (size_t i = 0; s->opt.all && i < st->metadata_count; ++i) {
        printf(i ? "  " : "\nmetadata\n  ");
        print_text(st->metadata[i].key, 24);
        printf("  ");
        print_text(st->metadata[i].value, 0);
        putchar('\n');
    }
    for (size_t i = 0; i < shown; ++i) {
        const locus_tensor *t = &st->tensors[i];
        printf(i ? "  " : "\ntensors\n  ");
        print_text(t->name, 40);
        printf("  %-6s  %s\n", t->dtype_name, shape_text(t->shape, t->rank, shape));
    }
    if (shown < count) printf("  ... and %zu more (--all)\n", count - shown);
}

static int info_npy(session *s)
{
    const char *path = s->opt.file;
    locus_array *a = &s->arrays[0];
    float values[4096];
    const size_t batch = sizeof values / sizeof *values;
    double low = INFINITY, high = -INFINITY;
    size_t nan = 0, infinite = 0;
    char shape[240];
    if (locus_npy_open(a, path, &s->err)) return fail_library(s, "", path);
    s->array_count = 1;
    for (size_t i = 0; i < a->count; i += batch) {
        size_t n = a->count - i < batch ? a->count - i : batch;
        if (locus_array_to_f32(a, i, n, values, &s->err)) return fail_library(s, "", path);
        for (size_t k = 0; k < n; ++k) {
            double v = (double)values[k];
            nan += is_nan(v) != 0;
            infinite += !is_finite(v) && !is_nan(v);
            if (v < low) low = v;
            if (v > high) high = v;
        }
    }
    shape_text(a->shape, a->rank, shape);
    if (s->opt.json) {
        json("{'file':%s,'kind':'npy','dtype':%s,'min':%d,'max':%d,'nan':%u,'infinite':%u,'shape':", path,
             dtype_name(a->dtype), low, high, nan, infinite);
        printf("%s}\n", shape);
        return DONE;
    }
    print_text(path, 0);
    printf(": array, %s %s\n", dtype_name(a->dtype), shape);
    if (a->count > nan) printf("  values         %g to %g\n", low, high);
    if (nan || infinite) printf("  not finite     %zu NaN, %zu infinite\n", nan, infinite);
    return DONE;
}

// What the file holds: net, pool, both (a router file), other tensors, or an array.
static int run_info(session *s)
{
    const char *path = s->opt.file;
    if (is_npy(path)) return info_npy(s);
    if (locus_safetensors_open(&s->net_file, path, &s->err)) return fail_library(s, "", path);
    s->net_file_open = 1;
    int has_net = locus_safetensors_find(&s->net_file, "decoder.U.weight") != NULL;
    int has_pool = locus_safetensors_find(&s->net_file, "pool.embeddings") != NULL;
    const char *kind = has_net && has_pool ? "router" : has_net ? "net" : has_pool ? "pool" : "safetensors";
    if (has_net) {
        if (make_net(s, "", path, 0)) return FAILED;
        if (has_pool && locus_pool_load(&s->pool, s->net, &s->net_file, NULL, 0, &s->err))
            return fail_library(s, "", path);
    }
    if (s->opt.json) {
        json("{'file':%s,'kind':%s,'file_bytes':%u", path, kind, s->net_file.file.bytes);
    } else {
        print_text(path, 0);
        printf(": %s, %zu bytes\n", kind, s->net_file.file.bytes);
    }
    if (has_net) info_net(s);
    if (has_pool && info_pool(s)) return FAILED;
    info_tensors(s);
    if (s->opt.json) json("}\n");
    return DONE;
}

// -------------------------------------------------------------------------------------------------------------- embed

// How many evaluations each model has; none at all is an error that names the model.
static int count_evaluations(session *s, const grades *scores, const grades *mask, const size_t *rows,
                             locus_model *const *models)
{
    for (size_t m = 0; m < scores->models; ++m) {
        uint64_t count = 0;
        for (size_t i = 0; i < scores->n; ++i)
            count += (!mask || mask->u8[m * scores->n + i]) && !is_missing(scores, m, i);
        if (!count)
            return fail(s, "--scores %s: row %zu (%s) has no evaluation%s: a model needs at least one", s->opt.scores,
                        rows ? rows[m] : m, models[m]->name, s->opt.queries ? " among --queries" : "");
        models[m]->evaluations = count;
    }
    return DONE;
}

// The encodings behind --unlabelled, for the memory's space; without the flag, where --queries takes a part of the
// encodings, all of them.
static int load_unlabelled(session *s, const locus_array *all, locus_queries *out)
{
    const locus_array *a = s->opt.queries ? all : NULL;
    const char *path = s->opt.unlabelled;
    char meaning[80], found[240];
    if (!path && !a) return DONE;
    snprintf(meaning, sizeof meaning, "[any number, %zu]", s->info.q_dim);
    if (path && open_array(s, "--unlabelled", path, 2, meaning, &a)) return FAILED;
    if (a->shape[1] != s->info.q_dim || a->shape[0] == 0)
        return fail(s, "--unlabelled %s: expected %s, found %s", path, meaning, shape_text(a->shape, 2, found));
    float *rows = (float *)take(s, a->count, sizeof *rows);
    size_t kept = 0, dim = a->shape[1];
    if (!rows) return FAILED;
    if (locus_array_to_f32(a, 0, a->count, rows, &s->err))
        return fail_library(s, path ? "--unlabelled" : "--encodings", path ? path : s->opt.encodings);
    for (size_t i = 0; i < a->shape[0]; ++i) { // rows that nobody asked for may hold anything: those are passed over
        int good = 1;
        for (size_t c = 0; c < dim && !path; ++c)
            good &= is_finite(rows[i * dim + c]) && fabsf(rows[i * dim + c]) < 1e6f;
        if (good) memmove(rows + kept++ * dim, rows + i * dim, dim * sizeof *rows);
    }
    if (!kept) return DONE;
    out->encodings = rows;
    out->count = kept;
    out->dim = dim;
    return DONE;
}

static int save_embeddings(session *s, locus_model *const *models, size_t m, const float *z, const locus_evals *evals,
                           const locus_array *encodings)
{
    locus_recall_opts memory;
    const char *path = s->opt.out;
    size_t shape[2];
    shape[0] = m;
    shape[1] = s->info.z_dim;
    if (has_ending(path, ".npy")) {
        if (locus_npy_save(path, LOCUS_F32, shape, 2, z, &s->err)) return fail_library(s, "--out", path);
        return DONE;
    }
    if (locus_pool_create(&s->pool, s->net, m, s->opt.query_encoder, NULL, 0, &s->err))
        return fail_library(s, "--out", path);
    for (size_t i = 0; i < m; ++i)
        if (locus_pool_add(s->pool, models[i], z + i * s->info.z_dim, NULL, &s->err))
            return fail(s, "model %s: %s", models[i]->name, s->err.message);
    memset(&memory, 0, sizeof memory);
    if (s->opt.memory > 0.0 || s->opt.memory < 0.0) { // --memory 0: none
        memory.weight = s->opt.memory > 0.0 ? s->opt.memory : 0.0;
        if (load_unlabelled(s, encodings, &memory.unlabelled)) return FAILED;
        if (locus_pool_learn_recall(s->pool, evals, &memory, &s->err)) return fail(s, "memory: %s", s->err.message);
    }
    if (!s->opt.no_default &&
        locus_pool_learn_guard(s->pool, evals, memory.unlabelled.count ? &memory.unlabelled : NULL, s->parallel,
                               &s->err))
        return fail(s, "guard: %s", s->err.message);
    if (locus_pool_save(s->pool, path, (locus_save_what)s->opt.with_net, s->opt.with_net ? &s->net_file : NULL,
                        &s->err))
        return fail_library(s, "--out", path);
    return DONE;
}

static int run_embed(session *s)
{
    static const locus_encode_path paths[] = {LOCUS_ENCODE_AUTO, LOCUS_ENCODE_FAST, LOCUS_ENCODE_STREAMING};
    const options *o = &s->opt;
    const locus_array *q = NULL, *y = NULL, *mask_file = NULL;
    size_t *columns = NULL, *rows = NULL, n = 0, m = 0;
    locus_model *table = NULL, **models;
    grades scores, mask;
    locus_evals evals;
    locus_encode_opts opts;
    char found[240];
    int status;
    memset(&evals, 0, sizeof evals);
    memset(&opts, 0, sizeof opts);
    if (!has_ending(o->out, ".npy") && !has_ending(o->out, ".safetensors"))
        return misuse(s, "--out: expected a name ending in .npy or .safetensors, found %s", o->out);
    if (has_ending(o->out, ".npy") && (o->with_net || o->query_encoder || o->memory > 0.0 || o->unlabelled))
        return misuse(s,
                      "--with-net, --query-encoder, --memory and --unlabelled need an --out that ends in .safetensors");
    if (open_net(s, "--net", o->net, 0)) return FAILED;
    if (!s->info.has_encoder)
        return fail(s, "--net %s: expected a net with an encoder, found a predictor only", o->net);
    if (paths[o->path] == LOCUS_ENCODE_STREAMING && s->info.encoder_kind == LOCUS_SAB)
        return fail(s, "--path streaming: expected auto or fast, this net's encoder is sab");
    if ((status = open_encodings(s, &q)) != DONE) return status;
    if (open_grades(s, "--scores", o->scores, &y)) return FAILED;
    if (y->shape[1] != q->shape[0])
        return fail(s, "--scores %s: expected [models, %zu] (the rows of --encodings), found %s", o->scores,
                    q->shape[0], shape_text(y->shape, 2, found));
    if (o->mask) {
        if (open_grades(s, "--mask", o->mask, &mask_file)) return FAILED;
        if (mask_file->shape[0] != y->shape[0] || mask_file->shape[1] != y->shape[1])
            return fail(s, "--mask %s: expected [%zu, %zu] (as --scores), found %s", o->mask, y->shape[0], y->shape[1],
                        shape_text(mask_file->shape, 2, found));
        if (mask_file->dtype != LOCUS_U8 && mask_file->dtype != LOCUS_BOOL)
            return fail(s, "--mask %s: expected u1 or b1, found %s", o->mask, dtype_name(mask_file->dtype));
    }
    if (load_places(s, "--queries", o->queries, y->shape[1], "the columns of --scores", &columns, &n) ||
        load_places(s, "--model-rows", o->model_rows, y->shape[0], "the rows of --scores", &rows, &m) ||
        load_models(s, y->shape[0], "the rows of --scores", &table) ||
        pick_grades(s, y, rows, m, columns, n, &scores) ||
        (o->mask && pick_grades(s, mask_file, rows, m, columns, n, &mask)))
        return FAILED;
    models = (locus_model **)take(s, m, sizeof *models);
    float *buffer = columns || q->dtype != LOCUS_F32 ? (float *)take(s, n, s->info.q_dim * sizeof *buffer) : NULL;
    if (!models || ((columns || q->dtype != LOCUS_F32) && !buffer)) return FAILED;
    for (size_t i = 0; i < m; ++i) models[i] = &table[rows ? rows[i] : i];
    if (count_evaluations(s, &scores, o->mask ? &mask : NULL, rows, models)) return FAILED;

    evals.queries.encodings = encoding_rows(s, q, columns, 0, n, buffer);
    if (!evals.queries.encodings) return fail_library(s, "--encodings", o->encodings);
    evals.queries.count = n;
    evals.queries.dim = s->info.q_dim;
    evals.scores.models = m;
    evals.scores.f32 = scores.f32;
    evals.scores.u8 = scores.u8;
    evals.scores.mask = o->mask ? mask.u8 : NULL;
    if (start_threads(s)) return FAILED;
    opts.path = paths[o->path];
    opts.parallel = s->parallel;
    opts.progress = progress;
    opts.user = s;
    size_t bytes = locus_encode_workspace(s->net, &evals, &opts);
    float *z = (float *)take(s, m, s->info.z_dim * sizeof *z);
    void *work = z ? malloc(bytes) : NULL; // not take: gigabytes need not be zeroed
    if (!z) return FAILED;
    if (!work) return fail(s, "out of memory: %zu bytes of workspace; --path streaming needs less", bytes);
    progress_begin(s, "embed");
    int failed = locus_encode(s->net, &evals, z, &opts, work, bytes, &s->err) != LOCUS_OK;
    progress_end(s);
    free(work);
    if (failed)
        return fail(s, "%s, --scores %s: %s%s", queries_name(s), o->scores, s->err.message,
                    columns || rows ? " (counted among the queries and models in use)" : "");
    return save_embeddings(s, models, m, z, &evals, q);
}

// -------------------------------------------------------------------------------------------------------------- train

static void print_metrics_json(const locus_metrics *x);

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

typedef struct course { // of a training: every epoch's figures
    session *s;
    locus_epoch *epochs;
    size_t count, capacity;
} course;

static int on_epoch(void *user, const locus_epoch *e)
{
    course *c = (course *)user;
    session *s = c->s;
    if (c->count < c->capacity) c->epochs[c->count++] = *e;
    double now = seconds(), elapsed = now - s->started;
#if HAVE_POSIX
    if (elapsed >= 1.0 && now - s->shown >= 0.2 && isatty(fileno(stderr))) {
        const locus_epoch *last = NULL;
        for (size_t i = 0; i < c->count; ++i)
            if (c->epochs[i].evaluated) last = &c->epochs[i];
        s->shown = now;
        fprintf(stderr, "\rtrain: epoch %zu of %zu, loss %.4f, ", e->epoch, e->epochs, e->loss);
        if (last)
            fprintf(stderr, "val hit@1 %.2f %% BCE %.4f (best: epoch %zu), ", 100.0 * last->metrics.hit1,
                    last->metrics.bce, e->best_epoch);
        fprintf(stderr, "%.0f s left   ", elapsed * (double)(e->epochs - e->epoch) / (double)c->count);
        fflush(stderr);
    }
#else
    (void)elapsed;
#endif
    return interrupted != 0;
}

static int save_course_csv(session *s, const course *c, const char *path)
{
    char temporary[4096];
    FILE *f = text_begin(s, path, temporary);
    if (!f) return FAILED;
    fprintf(f, "epoch,loss,gradient_norm,best,hit1,hit3,hit5,prediction_accuracy,bce,brier,auc,ece\n");
    for (size_t i = 0; i < c->count; ++i) {
        const locus_epoch *e = &c->epochs[i];
        const locus_metrics *x = &e->metrics;
        fprintf(f, "%zu,%.6g,%.6g,%d", e->epoch, e->loss, e->gradient_norm, e->best);
        if (e->evaluated)
            fprintf(f, ",%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g\n", x->hit1, x->hit3, x->hit5, x->prediction_accuracy,
                    x->bce, x->brier, x->auc, x->ece);
        else fprintf(f, ",,,,,,,,\n");
    }
    return text_end(s, f, temporary, path);
}

// One panel of the learning curve: values over epochs, from low to high.
static void svg_line(FILE *f, const course *c, const char *class_name, double top, double low, double high,
                     size_t epochs, double (*value)(const locus_epoch *))
{
    fprintf(f, "<polyline class='%s' points='", class_name);
    for (size_t i = 0; i < c->count; ++i) {
        double v = value(&c->epochs[i]);
        if (is_nan(v)) continue;
        fprintf(f, "%.1f,%.1f ", 60.0 + 560.0 * (double)c->epochs[i].epoch / (double)epochs,
                top + 150.0 * (high - v) / (high > low ? high - low : 1.0));
    }
    fprintf(f, "'/>\n");
}

static double value_loss(const locus_epoch *e) { return e->loss; }
static double value_bce(const locus_epoch *e) { return e->evaluated ? e->metrics.bce : NAN; }
static double value_hit1(const locus_epoch *e) { return e->evaluated ? 100.0 * e->metrics.hit1 : NAN; }
static double value_accuracy(const locus_epoch *e)
{
    return e->evaluated ? 100.0 * e->metrics.prediction_accuracy : NAN;
}

static int save_course_svg(session *s, const course *c, const char *path)
{
    static double (*const values[2][2])(const locus_epoch *) = {{value_loss, value_bce}, {value_hit1, value_accuracy}};
    static const char *const names[2][2] = {{"training loss", "validation cross-entropy"},
                                            {"validation routing hit@1, %", "validation prediction accuracy, %"}};
    char temporary[4096];
    FILE *f = text_begin(s, path, temporary);
    if (!f) return FAILED;
    size_t epochs = c->count ? c->epochs[c->count - 1].epoch : 1;
    fprintf(f,
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 640 440' font-family='sans-serif' font-size='12'>\n"
            "<style>svg{background:#fff;color:#222}polyline{fill:none;stroke-width:2}.a{stroke:#1f6fb2;fill:none}"
            ".b{stroke:#c8502d;fill:none}text{fill:currentColor}.ta{fill:#1f6fb2}.tb{fill:#c8502d}.g{stroke:#8886}"
            "@media(prefers-color-scheme:dark){svg{background:#16181c;color:#ddd}}</style>\n"
            "<title>Learning curve</title>\n");
    for (int panel = 0; panel < 2; ++panel) {
        double low = INFINITY, high = -INFINITY, top = 40.0 + 200.0 * panel;
        for (int k = 0; k < 2; ++k)
            for (size_t i = 0; i < c->count; ++i) {
                double v = values[panel][k](&c->epochs[i]);
                if (is_nan(v)) continue;
                if (v < low) low = v;
                if (v > high) high = v;
            }
        if (!(low <= high)) continue;
        fprintf(f, "<text class='ta' x='60' y='%.0f'>%s</text><text class='tb' x='330' y='%.0f'>%s</text>\n",
                top - 12.0, names[panel][0], top - 12.0, names[panel][1]);
        for (int k = 0; k <= 3; ++k)
            fprintf(f,
                    "<line class='g' x1='60' x2='620' y1='%.0f' y2='%.0f'/><text x='54' y='%.0f' text-anchor='end'>%.4g"
                    "</text>\n",
                    top + 50.0 * k, top + 50.0 * k, top + 50.0 * k + 4.0, high - (high - low) * k / 3.0);
        svg_line(f, c, "a", top, low, high, epochs, values[panel][0]);
        svg_line(f, c, "b", top, low, high, epochs, values[panel][1]);
    }
    fprintf(f, "<text x='60' y='430'>epoch 0</text><text x='620' y='430' text-anchor='end'>epoch %zu</text>\n</svg>\n",
            epochs);
    return text_end(s, f, temporary, path);
}

// path with `ending` in the place of .safetensors
static const char *beside(session *s, const char *path, const char *ending)
{
    size_t n = strlen(path), cut = has_ending(path, ".safetensors") ? n - strlen(".safetensors") : n;
    char *out = (char *)take(s, cut + strlen(ending) + 1, 1);
    if (out) {
        memcpy(out, path, cut);
        strcpy(out + cut, ending);
    }
    return out;
}

// Which queries train and which validate; --anchors draws from the first.
static int split_queries(session *s, size_t n, size_t **train, size_t *trained, size_t **validation, size_t *validating,
                         size_t **unlabelled, size_t *unlabelled_count)
{
    const options *o = &s->opt;
    const locus_array *a = NULL;
    size_t *t = (size_t *)take(s, n, sizeof *t), *v = (size_t *)take(s, n, sizeof *v),
           *u = (size_t *)take(s, n, sizeof *u);
    uint64_t state = 0x5851f42d4c957f2du + o->seed;
    if (!t || !v || !u) return FAILED;
    if (o->split) {
        if (open_array(s, "--split", o->split, 1, "one whole number for each query", &a)) return FAILED;
        if (!is_integer(a) || a->count != n)
            return fail(s, "--split %s: expected %zu whole numbers, found %zu of %s", o->split, n, a->count,
                        dtype_name(a->dtype));
    }
    *trained = *validating = 0;
    for (size_t i = 0; i < n; ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        int64_t part = a ? integer_at(a, i) : (state >> 33) % 10 == 0;
        if (part == 0) t[(*trained)++] = i;
        if (part == 1) v[(*validating)++] = i;
    }
    if (*trained == 0) return fail(s, "--split %s: no query is for training (0)", o->split ? o->split : "");
    memcpy(u, t, *trained * sizeof *u);
    *unlabelled = u;
    *unlabelled_count = *trained;
    if (o->anchors > *trained)
        return fail(s, "--anchors %zu: there are only %zu training queries", o->anchors, *trained);
    for (size_t i = 0; i < o->anchors; ++i) { // a partial shuffle
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t at = i + (size_t)(state >> 33) % (*trained - i), swap = t[at];
        t[at] = t[i];
        t[i] = swap;
    }
    if (o->anchors) *trained = o->anchors;
    *train = t;
    *validation = v;
    return DONE;
}

static int save_anchors(session *s, const size_t *rows, size_t count)
{
    const char *path = beside(s, s->opt.out, ".anchors.npy");
    int64_t *list = (int64_t *)take(s, count, sizeof *list);
    if (!path || !list) return FAILED;
    for (size_t i = 0; i < count; ++i) list[i] = (int64_t)rows[i];
    if (locus_npy_save(path, LOCUS_I64, &count, 1, list, &s->err)) return fail_library(s, "--out", path);
    return DONE;
}

static int file_exists(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f) fclose(f);
    return f != NULL;
}

// Learn the text encoder's table from the training texts, then encode all.
static int learn_text(session *s, const size_t *rows, size_t count, const locus_array **out)
{
    const char **texts = (const char **)take(s, count, sizeof *texts);
    size_t *bytes = (size_t *)take(s, count, sizeof *bytes);
    locus_text_train_opts opts;
    memset(&opts, 0, sizeof opts);
    if (!texts || !bytes) return FAILED;
    for (size_t i = 0; i < count; ++i) {
        texts[i] = s->texts.texts[rows[i]];
        bytes[i] = s->texts.bytes[rows[i]];
    }
    opts.seed = s->opt.seed;
    opts.parallel = s->parallel;
    opts.progress = progress;
    opts.user = s;
    progress_begin(s, "text table");
    int failed = locus_text_train(&s->text_encoder, texts, bytes, count, &opts, &s->err) != LOCUS_OK;
    progress_end(s);
    return failed ? fail_library(s, "--text", s->opt.text_file) : encode_texts(s, s->text_encoder, out);
}

static double given(double value)
{
    return value < 0.0 ? 0.0 : value > 0.0 ? value : -1.0;
} // 0 itself: see locus_train_opts

static int run_train(session *s)
{
    const options *o = &s->opt;
    const locus_array *q = NULL, *y = NULL;
    size_t *rows = NULL, m = 0, n;
    grades g;
    locus_train_data data;
    locus_train_opts opts;
    course c;
    char found[240];
    size_t *train = NULL, *validation = NULL, *unlabelled = NULL;
    memset(&data, 0, sizeof data);
    memset(&opts, 0, sizeof opts);
    memset(&c, 0, sizeof c);
    if (!has_ending(o->out, ".safetensors"))
        return misuse(s, "--out: expected a name ending in .safetensors, found %s", o->out);
    int misused = open_texts(s);
    if (misused) return misused;
    if ((o->encodings && open_array(s, "--encodings", o->encodings, 2, "[queries, q_dim]", &q)) ||
        open_grades(s, "--scores", o->scores, &y))
        return FAILED;
    n = q ? q->shape[0] : s->texts.count;
    if (y->shape[1] != n)
        return fail(s, "--scores %s: expected [models, %zu] (the rows of --encodings), found %s", o->scores, n,
                    shape_text(y->shape, 2, found));
    if (load_places(s, "--model-rows", o->model_rows, y->shape[0], "the rows of --scores", &rows, &m) ||
        pick_grades(s, y, rows, m, NULL, n, &g) ||
        split_queries(s, n, &train, &data.train_count, &validation, &data.validation_count, &unlabelled,
                      &data.unlabelled_count))
        return FAILED;
    if (start_threads(s)) return FAILED;
    if (!q && learn_text(s, unlabelled, data.unlabelled_count, &q)) return FAILED;
    float *buffer = q->dtype == LOCUS_F32 ? NULL : (float *)take(s, q->count, sizeof *buffer);
    if (q->dtype != LOCUS_F32 && !buffer) return FAILED;
    data.evals.queries.encodings = encoding_rows(s, q, NULL, 0, n, buffer);
    if (!data.evals.queries.encodings) return fail_library(s, "--encodings", o->encodings);
    data.text = s->text_encoder;
    data.evals.queries.count = n;
    data.evals.queries.dim = q->shape[1];
    data.evals.scores.models = m;
    data.evals.scores.f32 = g.f32;
    data.evals.scores.u8 = g.u8;
    data.train = train;
    data.validation = validation;
    data.unlabelled = unlabelled;
    data.query_encoder = o->query_encoder;
    opts.recipe = (locus_recipe)o->recipe;
    opts.keep = (locus_keep)o->keep;
    opts.seed = o->seed;
    opts.z_dim = o->z_dim, opts.n_heads = o->heads, opts.n_layers = o->layers, opts.m_induce = o->induce;
    opts.decoder_hidden = o->hidden;
    opts.epochs = o->epochs, opts.patience = o->patience;
    opts.subset_min = o->subset_min, opts.subset_max = o->subset_max, opts.targets = o->targets;
    opts.noise = given(o->noise), opts.dropout = given(o->dropout), opts.weight_decay = given(o->weight_decay);
    opts.encoder_rate = given(o->encoder_rate), opts.predictor_rate = given(o->predictor_rate);
    opts.parallel = s->parallel;
    opts.isa = (locus_isa)o->isa;
    opts.on_epoch = on_epoch;
    opts.user = &c;
    if (locus_train_create(&s->trainer, &data, &opts, &s->err)) return fail(s, "%s", s->err.message);
    if (o->anchors && save_anchors(s, train, data.train_count)) return FAILED;
    if (o->resume && file_exists(o->resume) && locus_train_load_state(s->trainer, o->resume, &s->err))
        return fail_library(s, "--resume", o->resume);
    c.s = s;
    c.capacity = locus_train_options(s->trainer).epochs;
    if (c.capacity > 1 << 20) c.capacity = 1 << 20; // of figures kept
    c.epochs = (locus_epoch *)take(s, c.capacity, sizeof *c.epochs);
    if (!c.epochs) return FAILED;
    signal(SIGINT, on_interrupt);
    progress_begin(s, "train");
    locus_status status = locus_train_run(s->trainer, &s->err);
    progress_end(s);
    signal(SIGINT, SIG_DFL);
    locus_error ended = s->err; // what follows may write another
    const locus_epoch *best = NULL;
    for (size_t i = 0; i < c.count; ++i)
        if (c.epochs[i].evaluated && c.epochs[i].epoch == c.epochs[c.count - 1].best_epoch) best = &c.epochs[i];
    if (locus_train_save(s->trainer, o->out, &s->err)) return fail_library(s, "--out", o->out);
    const char *csv = o->metrics ? o->metrics : beside(s, o->out, ".csv");
    const char *svg = o->curve ? o->curve : beside(s, o->out, ".svg");
    if (!csv || !svg || save_course_csv(s, &c, csv) || save_course_svg(s, &c, svg)) return FAILED;
    if (o->resume && locus_train_save_state(s->trainer, o->resume, &s->err))
        return fail_library(s, "--resume", o->resume);
    if (status && status != LOCUS_ERR_CANCELLED)
        return fail(s, "%s; %s holds the best weights before it", ended.message, o->out);
    if (o->json) {
        json("{'net':%s,'models':%u,'training_queries':%u,'validation_queries':%u,'epochs':%u,", o->out, m,
             data.train_count, data.validation_count, c.count ? c.epochs[c.count - 1].epoch : 0);
        json("'seconds':%d,'interrupted':%b,'best_epoch':%u,'validation':{", seconds() - s->started, status != LOCUS_OK,
             c.count ? c.epochs[c.count - 1].best_epoch : 0);
        if (best) print_metrics_json(&best->metrics);
        else json("}");
        json("}\n");
        return DONE;
    }
    printf("%s%zu models, %zu training queries, %zu epochs in %.1f s\n", status ? "interrupted: " : "", m,
           data.train_count, c.count, seconds() - s->started);
    if (best)
        printf("best epoch %zu, validation: hit@1 %.2f %% (best single model %.2f %%), prediction %.2f %%, BCE %.4f, "
               "Brier "
               "%.4f\n",
               best->epoch, 100.0 * best->metrics.hit1, 100.0 * best->metrics.best_single,
               100.0 * best->metrics.prediction_accuracy, best->metrics.bce, best->metrics.brier);
    printf("written: %s, %s, %s%s%s\n", o->out, csv, svg, o->resume ? ", " : "", o->resume ? o->resume : "");
    return DONE;
}

// ------------------------------------------------------------------------------------------------------------ predict

static int run_predict(session *s)
{
    const locus_array *q = NULL;
    if (!has_ending(s->opt.out, ".npy"))
        return misuse(s, "--out: expected a name ending in .npy, found %s", s->opt.out);
    int status = open_net_and_pool(s, 1);
    if (status) return status;
    if ((status = open_encodings(s, &q)) != DONE) return status;
    if (start_threads(s)) return FAILED;
    size_t shape[2];
    shape[0] = q->shape[0];
    shape[1] = locus_pool_count(s->pool);
    if (shape[1] > SIZE_MAX / sizeof(float)) return fail(s, "out of memory");
    float *p = (float *)take(s, shape[0], shape[1] * sizeof *p);
    if (!p || predict_rows(s, q, NULL, 0, shape[0], p)) return FAILED;
    for (size_t i = 0; !s->opt.logits && i < shape[0] * shape[1]; ++i) p[i] = (float)locus_probability((double)p[i]);
    if (locus_npy_save(s->opt.out, LOCUS_F32, shape, 2, p, &s->err)) return fail_library(s, "--out", s->opt.out);
    return DONE;
}

// ------------------------------------------------------------------------------------------------------------- encode

static int run_encode(session *s)
{
    const locus_array *q = NULL;
    const locus_text *encoder;
    if (!has_ending(s->opt.out, ".npy"))
        return misuse(s, "--out: expected a name ending in .npy, found %s", s->opt.out);
    if (open_texts(s) || open_net(s, "--net", s->opt.net, 1)) return FAILED;
    if (!(encoder = net_text(s)) || encode_texts(s, encoder, &q)) return FAILED;
    if (locus_npy_save(s->opt.out, LOCUS_F32, q->shape, 2, q->data, &s->err))
        return fail_library(s, "--out", s->opt.out);
    return DONE;
}

#include "locus_costs.h"

// -------------------------------------------------------------------------------------------------------------- route

// "A:B", "A:" or ":B": rows A to B - 1 of n.
static int read_rows(session *s, size_t n, size_t *first, size_t *end)
{
    char text[64];
    const char *value = s->opt.rows, *colon = value ? strchr(value, ':') : NULL;
    *first = 0;
    *end = n;
    if (!value) return DONE;
    size_t length = colon ? (size_t)(colon - value) : 0;
    if (!colon || length >= sizeof text) return misuse(s, "--rows: expected A:B, found \"%s\"", value);
    memcpy(text, value, length);
    text[length] = '\0';
    if ((*text && !read_count(text, first)) || (colon[1] && !read_count(colon + 1, end)) || *first > *end)
        return misuse(s, "--rows: expected A:B with A up to B, found \"%s\"", value);
    if (*end > n) return fail(s, "--rows %s: --encodings has %zu rows", value, n);
    return DONE;
}

// --available A,B,C -> a flag for each model of the pool.
static int read_available(session *s, unsigned char *available)
{
    char name[sizeof(((locus_model *)0)->name)];
    for (const char *p = s->opt.available; p;) {
        const char *comma = strchr(p, ',');
        size_t length = comma ? (size_t)(comma - p) : strlen(p);
        if (length == 0 || length >= sizeof name)
            return misuse(s, "--available: expected names separated by commas, found \"%s\"", s->opt.available);
        memcpy(name, p, length);
        name[length] = '\0';
        size_t index = locus_pool_find(s->pool, name);
        if (index == SIZE_MAX) return fail_name(s, "--available", name);
        available[index] = 1;
        p = comma ? comma + 1 : NULL;
    }
    return DONE;
}

typedef struct tally { // of first choices
    size_t index, count;
    double probability, cost;
} tally;

static int by_count(const void *a, const void *b)
{
    const tally *x = (const tally *)a, *y = (const tally *)b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void print_choices_json(const session *s, const locus_choice *choices, size_t first, size_t n, size_t top)
{
    json(",'choices':[");
    for (size_t i = 0; i < n; ++i) {
        const locus_choice *c = choices + i * top;
        json("%c\n{'query':%u,'rule':%s,'ranked':[", i > 0, first + i, locus_rule_name(c->rule));
        for (size_t k = 0; k < top && c[k].model != SIZE_MAX; ++k)
            json("%c{'model':%s,'index':%u,'probability':%f,'logit':%f,'cost':%d,'utility':%d}", k > 0,
                 locus_pool_model(s->pool, c[k].model)->name, c[k].model, (double)c[k].probability, (double)c[k].logit,
                 c[k].cost, c[k].utility);
        json("]}");
    }
    json("]}\n");
}

static void print_choices(const session *s, const locus_choice *choices, const char *const *texts, size_t first,
                          size_t n, size_t top)
{
    int width = longest_name(s);
    printf("%7s  %4s  ", "query", "rank");
    print_text("model", width);
    printf("  %7s  %10s  %10s  %s\n", "p", "cost", "utility", "rule");
    for (size_t i = 0; i < n; ++i) {
        if (texts) printf("\n%s\n", texts[first + i]);
        for (size_t k = 0; k < top && choices[i * top + k].model != SIZE_MAX; ++k) {
            const locus_choice *c = &choices[i * top + k];
            char cost[32];
            if (k == 0) printf("%7zu  %4d  ", first + i, 1);
            else printf("%7s  %4zu  ", "", k + 1);
            print_text(locus_pool_model(s->pool, c->model)->name, width);
            printf("  %5.1f %%  %10s  %10.4f%s%s\n", 100.0 * (double)c->probability, cost_text(cost, c->cost),
                   c->utility, k ? "" : "  ", k ? "" : locus_rule_name(c->rule));
        }
    }
}

// --texts: one line for each of n queries, printable as it stands.
static int load_texts(session *s, size_t n, const char ***texts)
{
    char *line = NULL, *next;
    size_t lines = 0;
    *texts = (const char **)take(s, n, sizeof **texts);
    if (!*texts || read_text(s, "--texts", s->opt.texts, &line)) return FAILED;
    for (; *line; line = next, ++lines) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        else next = line + strlen(line);
        for (char *c = line; *c; ++c)
            if (iscntrl((unsigned char)*c)) *c = ' ';
        if (lines < n) (*texts)[lines] = line;
    }
    if (lines == n) return DONE;
    return fail(s, "--texts %s: expected %zu lines (the rows of --encodings), found %zu", s->opt.texts, n, lines);
}

// Shares of the models among the first choices, their means, and which rules decided.
static int print_tally(session *s, const locus_choice *choices, size_t n, size_t top, int guarded)
{
    size_t m = locus_pool_count(s->pool), rules[4] = {0, 0, 0, 0};
    double p = 0.0, cost = 0.0, share = n ? 1.0 / (double)n : 0.0;
    char text[32];
    int width = longest_name(s);
    tally *t = (tally *)take(s, m, sizeof *t);
    if (!t) return FAILED;
    for (size_t i = 0; i < m; ++i) t[i].index = i;
    for (size_t i = 0; i < n; ++i) {
        const locus_choice *c = choices + i * top;
        t[c->model].count++;
        t[c->model].probability += (double)c->probability;
        p += (double)c->probability;
        t[c->model].cost += c->cost; // one unknown cost and the mean is unknown
        cost += c->cost;
        rules[c->rule]++;
    }
    qsort(t, m, sizeof *t, by_count);
    if (s->opt.json) {
        json(",'mean_probability':%d,'mean_cost':%d,'rules':{", p * share, cost * share);
        for (int r = 0; r < 4; ++r) json("%c%s:%u", r, locus_rule_name((locus_rule)r), rules[r]);
        json("},'models':[");
        for (size_t i = 0; i < m && t[i].count; ++i)
            json("%c{'model':%s,'queries':%u,'mean_probability':%d,'mean_cost':%d}", i > 0,
                 locus_pool_model(s->pool, t[i].index)->name, t[i].count, t[i].probability / (double)t[i].count,
                 t[i].cost / (double)t[i].count);
        json("]");
        return DONE;
    }
    printf("%zu queries, mean p %.1f %%, mean cost %s\n\n", n, 100.0 * p * share, cost_text(text, cost * share));
    print_text("model", width);
    printf("  %8s  %7s  %7s  %10s\n", "queries", "share", "mean p", "cost");
    for (size_t i = 0; i < m && t[i].count; ++i) {
        print_text(locus_pool_model(s->pool, t[i].index)->name, width);
        printf("  %8zu  %5.1f %%  %5.1f %%  %10s\n", t[i].count, 100.0 * (double)t[i].count * share,
               100.0 * t[i].probability / (double)t[i].count, cost_text(text, t[i].cost / (double)t[i].count));
    }
    if (guarded) {
        printf("\nrules:");
        for (int r = 0; r < 4; ++r)
            if (rules[r]) printf("  %s %.1f %%", locus_rule_name((locus_rule)r), 100.0 * (double)rules[r] * share);
        putchar('\n');
    }
    return DONE;
}

// --profile and --categories: what the winner is predicted to answer right in each category.
static int print_profile(session *s, size_t model, size_t category_count, const char *const *names,
                         const int32_t *category, const float *logits, size_t n)
{
    size_t m = locus_pool_count(s->pool);
    int width = 8;
    printf("\n");
    print_text(locus_pool_model(s->pool, model)->name, 0);
    printf(" by category: predicted share of right answers\n");
    for (size_t c = 0; c < category_count; ++c)
        if (text_width(names[c]) > width) width = text_width(names[c]);
    for (size_t c = 0; c < category_count; ++c) {
        double p = 0.0, count = 0.0;
        for (size_t i = 0; i < n; ++i)
            if (category[i] == (int32_t)c) {
                p += locus_probability((double)logits[i * m + model]);
                count += 1.0;
            }
        if (count < 1.0) continue;
        p /= count;
        printf("  ");
        print_text(names[c], width);
        printf("  %3.0f %%  ", 100.0 * p);
        for (int k = 0; k < (int)(40.0 * p + 0.5); ++k) putchar('#');
        putchar('\n');
    }
    return DONE;
}

static int load_categories(session *s, size_t n, int32_t **category, const char ***names, size_t *count);

// Questions in words, one or a line each of stdin: encode, predict, rank, show.
static int route_questions(session *s, locus_route_opts *opts, size_t top)
{
    const options *o = &s->opt;
    const locus_text *encoder = net_text(s);
    const locus_array *sample = NULL;
    const char **names = NULL;
    int32_t *category = NULL;
    size_t m = locus_pool_count(s->pool), categories = 0;
    float *sample_logits = NULL;
    static char line[1 << 16];
    if (!encoder) return FAILED;
    if (!o->profile != !o->categories) return misuse(s, "--profile and --categories go together");
    if (o->profile) {
        char meaning[80], found[240];
        snprintf(meaning, sizeof meaning, "[queries, %zu]", s->info.q_dim);
        if (open_array(s, "--profile", o->profile, 2, meaning, &sample)) return FAILED;
        if (sample->shape[1] != s->info.q_dim)
            return fail(s, "--profile %s: expected %s, found %s", o->profile, meaning,
                        shape_text(sample->shape, 2, found));
        sample_logits = (float *)take(s, sample->shape[0], m * sizeof *sample_logits);
        if (!sample_logits || load_categories(s, sample->shape[0], &category, &names, &categories) ||
            predict_rows(s, sample, NULL, 0, sample->shape[0], sample_logits))
            return FAILED;
    }
    size_t bytes = locus_route_workspace(s->pool, 1, opts);
    float *q = (float *)take(s, s->info.q_dim, sizeof *q);
    void *work = take(s, bytes, 1);
    locus_choice *choices = (locus_choice *)take(s, top, sizeof *choices);
    locus_queries one;
    if (!q || !work || !choices) return FAILED;
    memset(&one, 0, sizeof one);
    one.encodings = q;
    one.count = 1;
    one.dim = s->info.q_dim;
    costs c;
    memset(&c, 0, sizeof c);
    int from_stdin = strcmp(o->question, "-") == 0, first = 1, status;
    for (;;) {
        const char *text = o->question;
        size_t length = strlen(text);
        if (from_stdin) {
#if HAVE_POSIX
            if (isatty(fileno(stdin))) fprintf(stderr, "question (empty to end): ");
#endif
            if (!fgets(line, sizeof line, stdin)) break;
            length = strcspn(line, "\r\n");
            if (length == 0) break;
            text = line;
        }
        line[text == line ? length : 0] = '\0'; // the text ends there
        if (o->prices && (status = load_costs(s, NULL, NULL, m, 1, NULL, 0, 1, &text, NULL, &c)) != DONE) return status;
        opts->query_cost = c.of_query;
        if (locus_encode_text(encoder, text, length, q, &s->err)) return fail(s, "%s", s->err.message);
        if (locus_route(s->pool, &one, opts, choices, NULL, work, bytes, &s->err)) return fail_rank(s);
        if (o->json) {
            json("{'lambda':%d", opts->lambda);
            print_choices_json(s, choices, 0, 1, top);
        } else {
            if (!first) putchar('\n');
            print_choices(s, choices, NULL, 0, 1, top);
            if (sample)
                print_profile(s, choices[0].model, categories, names, category, sample_logits, sample->shape[0]);
        }
        fflush(stdout);
        first = 0;
        if (!from_stdin) break;
    }
    return DONE;
}

static int run_route(session *s)
{
    const options *o = &s->opt;
    const locus_array *q = NULL;
    const char **texts = NULL;
    size_t first = 0, end = 0, top = o->top ? o->top : 1;
    double mean_cost = 0.0;
    costs c;
    locus_route_opts opts;
    memset(&opts, 0, sizeof opts);
    if (o->question && (o->encodings || o->rows || o->texts || o->budget >= 0.0 || o->costs || o->tokens_in))
        return misuse(s, "--text excludes --encodings, --rows, --texts, --budget, --costs and --tokens-in");
    if ((o->profile || o->categories) && !o->question) return misuse(s, "--profile and --categories need a --text");
    int status = check_cost_flags(s);
    if (status || (status = open_net_and_pool(s, 1)) != DONE) return status;
    if (!o->question) {
        if (!o->encodings) return misuse(s, "--encodings Q.npy or --text QUESTION is required: the queries");
        if ((status = open_encodings(s, &q)) != DONE) return status;
        if ((status = read_rows(s, q->shape[0], &first, &end)) != DONE) return status;
        if (o->texts && load_texts(s, q->shape[0], &texts)) return FAILED;
    } else if (!o->top) top = 5;
    size_t n = end - first, m = locus_pool_count(s->pool);
    if ((status = read_rules(s, &opts)) != DONE) return status;
    if (top > m) top = m;
    opts.top = top;
    if (start_threads(s)) return FAILED;
    if (o->question) return route_questions(s, &opts, top);
    if ((status = load_costs(s, NULL, NULL, m, q->shape[0], NULL, first, n, texts, NULL, &c)) != DONE) return status;
    opts.query_cost = c.of_query;
    float *logits = (float *)take(s, n, m * sizeof *logits);
    locus_choice *choices = (locus_choice *)take(s, n, top * sizeof *choices);
    if (!logits || !choices || predict_rows(s, q, NULL, first, n, logits)) return FAILED;
    if (keep_budget(s, logits, n, &opts, &mean_cost)) return FAILED;
    if (locus_rank(s->pool, logits, n, &opts, choices, &s->err)) return fail_rank(s);
    if (o->json) {
        json("{'queries':%u,'lambda':%d", n, opts.lambda);
        if (print_tally(s, choices, n, top, 0)) return FAILED;
        print_choices_json(s, choices, first, n, top);
        return DONE;
    }
    print_cost_notes(s, &c);
    if (o->budget >= 0.0)
        printf("lambda %g keeps the mean cost at %g (budget %g)\n\n", opts.lambda, mean_cost, o->budget);
    if (n <= 20 || o->all) print_choices(s, choices, texts, first, n, top);
    else status = print_tally(s, choices, n, top, opts.guard == LOCUS_GUARD_GIVEN);
    if (n > 20 && !o->all && !status) printf("\n--all lists every query\n");
    return status;
}

// --------------------------------------------------------------------------------------------------------------- eval

typedef struct label { // of a query: a category
    const char *text;
    size_t query;
} label;

static int by_text(const void *a, const void *b)
{
    const label *x = (const label *)a, *y = (const label *)b;
    int order = strcmp(x->text, y->text);
    return order ? order : (x->query > y->query) - (x->query < y->query);
}

// --categories: the number of each query's category, and the names in order.
static int load_categories(session *s, size_t n, int32_t **category, const char ***names, size_t *count)
{
    const char *path = s->opt.categories;
    label *labels = (label *)take(s, n, sizeof *labels);
    *category = (int32_t *)take(s, n, sizeof **category);
    *names = (const char **)take(s, n, sizeof **names);
    *count = 0;
    if (!labels || !*category || !*names) return FAILED;
    size_t lines = 0;
    if (is_npy(path)) {
        const locus_array *a = NULL;
        char *text;
        if (open_array(s, "--categories", path, 1, "one number for each query", &a)) return FAILED;
        if (!is_integer(a))
            return fail(s, "--categories %s: expected u1, i4 or i8, found %s", path, dtype_name(a->dtype));
        if (!(text = (char *)take(s, n, 24))) return FAILED;
        for (lines = 0; lines < a->count; ++lines)
            if (lines < n) {
                snprintf(text + 24 * lines, 24, "%lld", (long long)integer_at(a, lines));
                labels[lines].text = text + 24 * lines;
            }
    } else if (has_ending(path, ".jsonl") || has_ending(path, ".ndjson")) {
        if (locus_texts_open(&s->labels, path, &s->err)) return fail_library(s, "--categories", path);
        for (lines = 0; lines < s->labels.count; ++lines) {
            if (s->labels.texts[lines] && !*s->labels.categories[lines])
                return fail(s, "--categories %s: query %zu has no \"category\"", path, lines);
            if (lines < n) labels[lines].text = s->labels.categories[lines];
        }
    } else {
        char *line = NULL, *next;
        if (read_text(s, "--categories", path, &line)) return FAILED;
        for (; *line; line = next, ++lines) {
            next = strchr(line, '\n');
            if (next) *next++ = '\0';
            else next = line + strlen(line);
            if (next - line > 1 && next[-1] == '\0' && next[-2] == '\r') next[-2] = '\0';
            if (lines < n) labels[lines].text = line;
        }
    }
    if (lines != n)
        return fail(s, "--categories %s: expected %zu entries (the rows of --encodings), found %zu", path, n, lines);
    for (size_t i = 0; i < n; ++i) labels[i].query = i;
    qsort(labels, n, sizeof *labels, by_text);
    for (size_t i = 0; i < n; ++i) {
        if (i == 0 || strcmp(labels[i].text, labels[i - 1].text) != 0) (*names)[(*count)++] = labels[i].text;
        (*category)[labels[i].query] = (int32_t)(*count - 1);
    }
    return DONE;
}

// rows[i] <- row of --scores that belongs to model i of the pool; NULL where they are the same.
static int match_models(session *s, size_t score_rows, size_t **rows)
{
    size_t m = locus_pool_count(s->pool), picked = 0, *list = NULL;
    locus_model *table = NULL;
    if (load_places(s, "--model-rows", s->opt.model_rows, score_rows, "the rows of --scores", &list, &picked))
        return FAILED;
    *rows = list;
    if (!s->opt.models) {
        if (picked != m)
            return fail(
                s,
                "--scores %s: expected %zu rows (the models of the pool), found %zu; --models models.csv matches "
                "them by name, --model-rows IDX.npy by number",
                s->opt.scores, m, picked);
        return DONE;
    }
    if (load_models(s, score_rows, "the rows of --scores", &table)) return FAILED;
    if (!(*rows = (size_t *)take(s, m, sizeof **rows))) return FAILED;
    for (size_t i = 0; i < m; ++i) {
        size_t k = 0;
        const char *name = locus_pool_model(s->pool, i)->name;
        while (k < picked && strcmp(table[list ? list[k] : k].name, name) != 0) ++k;
        if (k == picked)
            return fail(s, "--models %s: model %s of the pool is not among the scores", s->opt.models, name);
        (*rows)[i] = list ? list[k] : k;
    }
    return DONE;
}

// The queries to evaluate on and the training queries, by --split and --use.
static int select_queries(session *s, const grades *scores, size_t **use, size_t *used, size_t **train, size_t *trained)
{
    static const char parts[] = "train|val|test";
    const char *path = s->opt.split, *word = s->opt.use ? s->opt.use : "test";
    const locus_array *a = NULL;
    size_t wanted = 0, n = scores->n;
    int all = strcmp(word, "all") == 0;
    *used = *trained = 0;
    *use = (size_t *)take(s, n, sizeof **use);
    *train = (size_t *)take(s, n, sizeof **train);
    if (!*use || !*train) return FAILED;
    if (path) {
        if (open_array(s, "--split", path, 1, "one number for each query", &a)) return FAILED;
        if (a->count != n || !is_integer(a))
            return fail(s, "--split %s: expected %zu whole numbers (the rows of --encodings), found %zu of %s", path, n,
                        a->count, dtype_name(a->dtype));
        int place = find_word(parts, word);
        if (place >= 0) wanted = (size_t)place;
        else if (!all && !read_count(word, &wanted))
            return misuse(s, "--use: expected train, val, test, all or a number, found \"%s\"", word);
    } else if (s->opt.use) {
        return misuse(s, "--use needs a --split");
    }
    for (size_t i = 0; i < n; ++i) {
        int missing = 0;
        if (a && integer_at(a, i) == 0) (*train)[(*trained)++] = i;
        if (a && !all && (integer_at(a, i) < 0 || (uint64_t)integer_at(a, i) != wanted)) continue;
        for (size_t m = 0; s->opt.fully_scored && m < scores->models && !missing; ++m)
            missing = is_missing(scores, m, i);
        if (!missing) (*use)[(*used)++] = i;
    }
    if (*used == 0) return fail(s, "--split, --use, --fully-scored: no query is left to evaluate on");
    return DONE;
}

static const char *figure(char text[16], double value, double scale, int decimals)
{
    if (is_finite(value)) snprintf(text, 16, "%.*f", decimals, scale * value);
    else snprintf(text, 16, "-");
    return text;
}

static void print_metrics(const char *name, int width, const locus_metrics *x, int graded)
{
    char t[4][16];
    print_text(name, width);
    printf("  %7zu  %6.2f  %6.2f  %6.2f  %6.2f  %6.2f  %6.2f", x->queries, 100.0 * x->hit1, 100.0 * x->best_single,
           100.0 * x->random_model, 100.0 * x->oracle, 100.0 * x->hit3, 100.0 * x->hit5);
    if (graded)
        printf("  %6.2f  %6.2f  %6.2f  %6.2f", 100.0 * x->routing_score, 100.0 * x->best_single_score,
               100.0 * x->random_model_score, 100.0 * x->oracle_score);
    printf("  %8s  %6s  %6s  %6s", figure(t[0], x->prediction_accuracy, 100.0, 2), figure(t[1], x->bce, 1.0, 4),
           figure(t[2], x->brier, 1.0, 4), figure(t[3], x->auc, 1.0, 4));
    printf("  %6s  %6zu\n", figure(t[0], x->ece, 1.0, 4), x->models_routed);
}

static void print_metrics_json(const locus_metrics *x)
{
    json("'queries':%u,'pairs':%u,'hit1':%d,'hit3':%d,'hit5':%d,'prediction_accuracy':%d,'bce':%d,'brier':%d,'auc':%d,",
         x->queries, x->pairs, x->hit1, x->hit3, x->hit5, x->prediction_accuracy, x->bce, x->brier, x->auc);
    json("'ece':%d,'best_single_hit1':%d,'random_hit1':%d,'oracle_hit1':%d,'models_routed':%u,", x->ece, x->best_single,
         x->random_model, x->oracle, x->models_routed);
    json("'routing_score':%d,'best_single_score':%d,'random_score':%d,'oracle_score':%d}", x->routing_score,
         x->best_single_score, x->random_model_score, x->oracle_score);
}

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
    locus_gap gap;           // of --weak and --strong
} replay;

static float score_at(const grades *g, size_t model, size_t query)
{
    size_t at = model * g->n + query;
    return is_missing(g, model, query) ? 0.0f : g->u8 ? (float)g->u8[at] : g->f32[at];
}

static double cost_at(const replay *r, size_t i, size_t model)
{
    return r->c.of_query ? r->c.of_query[i * r->models + model] : r->own_cost[model];
}

// Which models may answer which query, and only the queries that some may. A rule that needs costs knows them.
static int keep_candidates(session *s, replay *r)
{
    const options *o = &s->opt;
    const int cost_rule = o->lambda > 0.0 || o->max_cost >= 0.0 || o->budget >= 0.0;
    size_t kept = 0;
    if (!(r->candidate = (unsigned char *)take(s, r->n, r->models))) return FAILED;
    for (size_t i = 0; i < r->n; ++i) {
        unsigned char *candidate = r->candidate + kept * r->models;
        int some = 0;
        for (size_t m = 0; m < r->models; ++m) {
            double cost = cost_at(r, i, m);
            int in = (r->among == LOCUS_AMONG_ALL || !is_missing(&r->g, m, r->use[i])) &&
                     (!r->rules.available || r->rules.available[m]);
            if (in && cost_rule) in = is_nan(cost) ? o->allow_unpriced : !(o->max_cost >= 0.0 && cost > o->max_cost);
            candidate[m] = (unsigned char)in;
            some |= in;
        }
        if (!some) continue;
        r->use[kept] = r->use[i];
        if (r->c.of_query)
            memmove(r->c.of_query + kept * r->models, r->c.of_query + i * r->models, r->models * sizeof(double));
        ++kept;
    }
    r->left_out = r->n - kept;
    r->n = kept;
    return kept ? DONE
                : fail(s, "no query has a candidate: a model that is available, within the limits and, with --among "
                          "scored, has a score");
}

// What the router and the leader got and paid, query by query.
static int compare_to_leader(session *s, replay *r)
{
    for (int k = 0; k < 2; ++k) {
        r->right[k] = (double *)take(s, r->n, sizeof(double));
        r->score[k] = (double *)take(s, r->n, sizeof(double));
        if (!r->right[k] || !r->score[k]) return FAILED;
        r->mean_cost[k] = 0.0;
    }
    for (size_t i = 0; i < r->n; ++i)
        for (int k = 0; k < 2; ++k) {
            size_t model = r->choices[i].model, l = 0;
            if (k) {
                while (!r->candidate[i * r->models + r->leaders[l]]) ++l;
                model = r->leaders[l];
            }
            r->score[k][i] = (double)score_at(&r->g, model, r->use[i]);
            r->right[k][i] = r->score[k][i] > 0.5;
            r->mean_cost[k] += cost_at(r, i, model) / (double)r->n;
        }
    return DONE;
}

static int open_frontier(session *s, replay *r);
static void print_frontier(session *s, const replay *r);

static void print_interval(const char *before, locus_interval x, const char *unit)
{
    printf("%s%+.2f%s", before, 100.0 * x.value, unit);
    if (is_finite(x.low) && is_finite(x.high)) printf(" (%+.2f to %+.2f)", 100.0 * x.low, 100.0 * x.high);
}

static void json_range(const char *name, locus_interval x)
{
    json("%s:{'value':%d,'low':%d,'high':%d}", name, x.value, x.low, x.high);
}

static int run_eval(session *s)
{
    const options *o = &s->opt;
    const locus_array *q = NULL, *y = NULL;
    size_t *rows = NULL, *train = NULL, trained = 0, category_count = 0;
    int32_t *category = NULL, *selected = NULL;
    const char **names = NULL;
    locus_model *table = NULL;
    replay r;
    locus_metrics x;
    locus_metrics_opts how;
    locus_interval right, score;
    char found[240];
    double budget_cost = NAN;
    int status = check_cost_flags(s), width = 7, graded = 0;
    memset(&r, 0, sizeof r);
    memset(&how, 0, sizeof how);
    if (!o->weak != !o->strong) return misuse(s, "--weak and --strong go together");
    if (status || (status = open_net_and_pool(s, 1)) != DONE) return status;
    if ((status = open_encodings(s, &q)) != DONE) return status;
    if (open_grades(s, "--scores", o->scores, &y)) return FAILED;
    if (y->shape[1] != q->shape[0])
        return fail(s, "--scores %s: expected [models, %zu] (the rows of --encodings), found %s", o->scores,
                    q->shape[0], shape_text(y->shape, 2, found));
    if (match_models(s, y->shape[0], &rows)) return FAILED;
    size_t m = r.models = locus_pool_count(s->pool);
    if ((status = read_rules(s, &r.rules)) != DONE) return status;
    if (pick_grades(s, y, rows, m, NULL, y->shape[1], &r.g)) return FAILED;
    if ((status = select_queries(s, &r.g, &r.use, &r.n, &train, &trained)) != DONE) return status;
    if (o->categories && load_categories(s, y->shape[1], &category, &names, &category_count)) return FAILED;
    if (o->models && load_models(s, y->shape[0], "the rows of --scores", &table)) return FAILED;
    if ((status = load_costs(s, table, rows, y->shape[0], y->shape[1], r.use, 0, r.n,
                             s->texts.count ? s->texts.texts : NULL, &r.g, &r.c)) != DONE)
        return status;
    if (start_threads(s)) return FAILED;
    for (size_t i = 0; i < r.n; ++i)
        for (size_t k = 0; k < m; ++k) {
            float v = score_at(&r.g, k, r.use[i]);
            r.missing += is_missing(&r.g, k, r.use[i]) != 0;
            graded |= v > 0.0f && v < 1.0f;
        }
    double missing = (double)r.missing / ((double)r.n * (double)m);
    r.among = o->among == 2 || (!o->among && !r.missing) ? LOCUS_AMONG_ALL : LOCUS_AMONG_SCORED;
    r.scores.models = m;
    r.scores.count = r.g.n;
    r.scores.f32 = r.g.f32;
    r.scores.u8 = r.g.u8;
    unsigned char *every = (unsigned char *)take(s, m, 1);
    r.own_cost = (double *)take(s, m, sizeof *r.own_cost);
    r.leaders = (size_t *)take(s, m, sizeof *r.leaders);
    r.means = (double *)take(s, m, sizeof *r.means);
    if (!every || !r.own_cost || !r.leaders || !r.means) return FAILED;
    memset(every, 1, m);
    if (!r.rules.available) r.rules.available = every; // an evaluation is of all models, up or down
    for (size_t k = 0; k < m; ++k) r.own_cost[k] = locus_pool_model(s->pool, k)->cost;
    if (locus_leaders(&r.scores, trained ? train : r.use, trained ? trained : r.n, r.among, r.leaders, r.means,
                      &s->err))
        return fail_library(s, "--scores", o->scores);
    if (keep_candidates(s, &r)) return FAILED;
    r.logits = (float *)take(s, r.n, m * sizeof *r.logits);
    r.choices = (locus_choice *)take(s, r.n, sizeof *r.choices);
    size_t bytes = locus_metrics_workspace(r.n, m);
    void *work = take(s, bytes, 1);
    selected = (int32_t *)take(s, r.n, sizeof *selected);
    if (!r.logits || !r.choices || !work || !selected || predict_rows(s, q, r.use, 0, r.n, r.logits)) return FAILED;
    for (size_t i = 0; category && i < r.n; ++i) selected[i] = category[r.use[i]];
    r.rules.query_available = r.candidate;
    r.rules.query_cost = r.c.of_query;
    if (keep_budget(s, r.logits, r.n, &r.rules, &budget_cost)) return FAILED;
    if (locus_rank(s->pool, r.logits, r.n, &r.rules, r.choices, &s->err)) return fail_rank(s);
    how.columns = r.use;
    how.among = r.among;
    how.query_available = r.candidate;
    how.leaders = r.leaders;
    how.leader_count = m;
    how.choices = r.choices;
    if (locus_metrics_compute(&x, r.logits, r.n, &r.scores, &how, work, bytes, &s->err))
        return fail_library(s, "--scores", o->scores);
    if (compare_to_leader(s, &r) || locus_paired_difference(r.right[0], r.right[1], r.n, 0.9, 0, 0, &right, &s->err) ||
        locus_paired_difference(r.score[0], r.score[1], r.n, 0.9, 0, 0, &score, &s->err))
        return fail(s, "%s", s->err.message);
    if ((status = open_frontier(s, &r)) != DONE) return status;
    const char *best_name = locus_pool_model(s->pool, r.leaders[0])->name;
    for (size_t c = 0; c < category_count; ++c)
        if (text_width(names[c]) > width) width = text_width(names[c]);
    if (o->json) {
        json("{'best_single_model':%s,'best_single_chosen_on':%s,'training_queries':%u,", best_name,
             trained ? "train" : "hindsight", trained);
        json("'among':%s,'missing':%d,'left_out':%u,'lambda':%d,'mean_cost':%d,'best_single_mean_cost':%d,",
             r.among == LOCUS_AMONG_SCORED ? "scored" : "all", missing, r.left_out, r.rules.lambda, r.mean_cost[0],
             r.mean_cost[1]);
        json("'overall':{");
        print_metrics_json(&x);
        json(",'difference':{'level':0.9,");
        json_range("hit1", right);
        json(",");
        json_range("score", score);
        json("}");
        print_frontier(s, &r);
        json(",'categories':[");
    } else {
        printf("best single model: ");
        print_text(best_name, 0);
        if (trained) printf(" (chosen on %zu training queries)\n", trained);
        else printf(" (in hindsight: chosen on the queries it is measured on)\n");
        if (r.missing && r.among == LOCUS_AMONG_SCORED)
            printf("%.1f %% of the scores are missing: a query's candidates are the models that have one; the best "
                   "single model is "
                   "the best of these\n",
                   100.0 * missing);
        else if (r.missing) printf("%.1f %% of the scores are missing: each counts as a miss\n", 100.0 * missing);
        if (r.left_out) printf("%zu queries without a candidate are left out\n", r.left_out);
        print_cost_notes(s, &r.c);
        if (o->budget >= 0.0)
            printf("lambda %g keeps the mean cost at %g (budget %g)\n", r.rules.lambda, budget_cost, o->budget);
        if (r.rules.guard == LOCUS_GUARD_GIVEN) {
            size_t kept = 0;
            for (size_t i = 0; i < r.n; ++i) kept += r.choices[i].rule == LOCUS_RULE_DEFAULT_KEPT;
            printf("guard: ");
            print_text(locus_pool_model(s->pool, r.rules.default_model)->name, 0);
            printf(" stays unless another gains more than %g: on %.1f %% of the queries\n", r.rules.margin,
                   100.0 * (double)kept / (double)r.n);
        }
        printf("\n%*s  %7s  %-30s  %-14s", width, "", "", "answered right, %", "any of, %");
        if (graded) printf("  %-30s", "mean score, %");
        printf("  %-8s\n", "right, %");
        print_text("", width);
        printf("  %7s  %6s  %6s  %6s  %6s  %6s  %6s", "queries", "hit@1", "single", "random", "oracle", "hit@3",
               "hit@5");
        if (graded) printf("  %6s  %6s  %6s  %6s", "router", "single", "random", "oracle");
        printf("  %8s  %6s  %6s  %6s  %6s  %6s\n", "predict", "BCE", "Brier", "AUC", "ECE", "models");
        print_metrics("overall", width, &x, graded);
    }
    int first = 1;
    how.select = selected;
    for (size_t c = 0; c < category_count; ++c) {
        how.value = (int32_t)c;
        if (locus_metrics_compute(&x, r.logits, r.n, &r.scores, &how, work, bytes, &s->err))
            return fail_library(s, "--scores", o->scores);
        if (x.queries == 0) continue;
        if (o->json) {
            json("%c\n{'category':%s,", !first, names[c]);
            print_metrics_json(&x);
        } else {
            print_metrics(names[c], width, &x, graded);
        }
        first = 0;
    }
    if (o->json) {
        json("]}\n");
        return DONE;
    }
    print_interval("\nrouter less best single model: ", right, " points answered right");
    if (graded) print_interval(", ", score, " of mean score");
    printf(", 90 %% interval over queries\n");
    if (is_finite(r.mean_cost[0]) && (r.mean_cost[0] > 0.0 || r.mean_cost[1] > 0.0))
        printf("mean cost: router %.6g, best single model %s\n", r.mean_cost[0], cost_text(found, r.mean_cost[1]));
    print_frontier(s, &r);
    return DONE;
}

#include "locus_pictures.h"

#include "locus_explore.h"

#include "locus_frontier.h"

#include "locus_atlas.h"

// ------------------------------------------------------------------------------------------------ the tables of flags

static const flag info_flags[] = {
    {"FILE", "", POSITION, AT(file), 1, "a net, pool, router file, any .safetensors, or an .npy array"},
    {"--all", "", SWITCH, AT(all), 0, "all models, tensors and metadata, not just the first"},
    {"--json", "", SWITCH, AT(json), 0, "as JSON"},
    COMMON_FLAGS};

static const flag embed_flags[] = {
    {"--net", "NET.safetensors", TEXT, AT(net), 1, "the net, with its encoder"},
    {"--encodings", "Q.npy", TEXT, AT(encodings), 0, "query encodings [n, q_dim]"},
    {"--text", "Q.jsonl", TEXT, AT(text_file), 0, "in their place the queries' words, for a net that reads text"},
    {"--scores", "Y.npy", TEXT, AT(scores), 1, "[models, n]: u1 with 255 = missing, or float with NaN = missing"},
    {"--mask", "MASK.npy", TEXT, AT(mask), 0, "u1 or b1 [models, n]: 0 where a model was not evaluated"},
    {"--queries", "IDX.npy", TEXT, AT(queries), 0, "the columns of --scores (rows of --encodings) to use"},
    {"--models", "MODELS.csv", TEXT, AT(models), 0, "one line for each row of --scores: see below"},
    {"--model-rows", "IDX.npy", TEXT, AT(model_rows), 0, "the rows of --scores to embed, in this order"},
    {"--out", "POOL.safetensors|Z.npy", TEXT, AT(out), 1, "a pool, or the bare embeddings as f4 [models, z_dim]"},
    {"--query-encoder", "NAME", TEXT, AT(query_encoder), 0, "sentence encoder to record in the pool"},
    {"--with-net", "predictor|all", CHOICE_1, AT(with_net), 0, "write a router file: pool and net in one"},
    {"--memory", "W", NUMBER, AT(memory), 0,
     "weight of the memory of the evaluated queries in the logits, 0 to 1 (default: what the training found, else 0.8; "
     "0: "
     "no memory)"},
    {"--unlabelled", "Q.npy", TEXT, AT(unlabelled), 0,
     "encodings, without scores, to learn the memory's space (default: all of --encodings)"},
    {"--no-default", "", SWITCH, AT(no_default), 0, "learn no guard: no default model to keep"},
    {"--path", "auto|fast|streaming", CHOICE, AT(path), 0, "how to encode; streaming needs little memory"},
    COMMON_FLAGS};

static const flag train_flags[] = {
    {"--encodings", "Q.npy", TEXT, AT(encodings), 0, "query encodings [n, q_dim]"},
    {"--text", "Q.jsonl", TEXT, AT(text_file), 0, "in their place the queries' words: learn a text encoder too"},
    {"--scores", "Y.npy", TEXT, AT(scores), 1, "[models, n]: u1 with 255 = missing, or float with NaN = missing"},
    {"--out", "NET.safetensors", TEXT, AT(out), 1, "the net; metrics and learning curve stand beside it"},
    {"--split", "S.npy", TEXT, AT(split), 0,
     "part of each query: 0 train, 1 val (default: every tenth, drawn, is val)"},
    {"--anchors", "N", COUNT, AT(anchors), 0,
     "learn from N training queries, drawn; they are saved as NET.anchors.npy"},
    {"--model-rows", "IDX.npy", TEXT, AT(model_rows), 0, "the rows of --scores to learn from"},
    {"--recipe", "best|paper", CHOICE, AT(recipe), 0, "ours (default), or the paper's"},
    {"--epochs", "E", COUNT, AT(epochs), 0, "steps over all models (default: best 300, paper 2500)"},
    {"--patience", "P", COUNT, AT(patience), 0,
     "stop after P epochs without a new best (default: best never, paper 500)"},
    {"--keep", "bce|hit1|last", CHOICE_1, AT(keep), 0, "which weights are the best (default: best bce, paper hit1)"},
    {"--seed", "S", COUNT, AT(seed), 0, "another seed, other weights"},
    {"--resume", "STATE", TEXT, AT(resume), 0,
     "go on from this file if it exists; the state is written there at the end"},
    {"--metrics", "FILE.csv", TEXT, AT(metrics), 0, "where the figures of each epoch go (default: NET.csv)"},
    {"--curve", "FILE.svg", TEXT, AT(curve), 0, "where the learning curve goes (default: NET.svg)"},
    {"--query-encoder", "NAME", TEXT, AT(query_encoder), 0, "sentence encoder to record in the net"},
    {"--z-dim", "D", COUNT, AT(z_dim), 0, "length of an embedding (default: 128)"},
    {"--heads", "H", COUNT, AT(heads), 0, "attention heads (default: 4)"},
    {"--layers", "L", COUNT, AT(layers), 0, "attention layers (default: best 1, paper 2)"},
    {"--induce", "R", COUNT, AT(induce), 0, "inducing vectors (default: best 16, paper 64)"},
    {"--hidden", "G", COUNT, AT(hidden), 0, "predictor's hidden width (default: 64)"},
    {"--subset-min", "N", COUNT, AT(subset_min), 0,
     "evaluations the encoder sees in a step, at least (default: best 16)"},
    {"--subset-max", "N", COUNT, AT(subset_max), 0, "and at most (default: best 1024)"},
    {"--targets", "N", COUNT, AT(targets), 0,
     "queries the predictor is asked about in a step (default: best 256 to 1024)"},
    {"--noise", "X", NUMBER, AT(noise), 0, "deviation of the noise on the encodings (default: best 0.05)"},
    {"--dropout", "X", NUMBER, AT(dropout), 0, "in the predictor (default: 0.1)"},
    {"--weight-decay", "X", NUMBER, AT(weight_decay), 0, "(default: 0.05)"},
    {"--encoder-rate", "X", NUMBER, AT(encoder_rate), 0, "learning rate (default: best 1e-3, paper 2e-4)"},
    {"--predictor-rate", "X", NUMBER, AT(predictor_rate), 0, "learning rate (default: best 2e-3, paper 8e-4)"},
    {"--json", "", SWITCH, AT(json), 0, "the result as JSON"},
    COMMON_FLAGS};

static const flag encode_flags[] = {
    {"--net", "NET.safetensors", TEXT, AT(net), 1, "a net or router file that reads text"},
    {"--text", "Q.jsonl", TEXT, AT(text_file), 1, "the queries: a JSON object with \"text\" in each line"},
    {"--out", "Q.npy", TEXT, AT(out), 1, "where to write f4 [queries, q_dim]"},
    COMMON_FLAGS};

static const flag predict_flags[] = {
    {"--net", "NET.safetensors", TEXT, AT(net), 0, "the net"},
    {"--pool", "POOL.safetensors|Z.npy", TEXT, AT(pool), 0, "the models' embeddings"},
    {"--router", "ROUTER.safetensors", TEXT, AT(router), 0, "one file that holds both (in place of --net and --pool)"},
    {"--encodings", "Q.npy", TEXT, AT(encodings), 0, "query encodings [queries, q_dim]"},
    {"--text", "Q.jsonl", TEXT, AT(text_file), 0, "in their place the queries' words, for a net that reads text"},
    {"--out", "P.npy", TEXT, AT(out), 1, "where to write f4 [queries, models]"},
    {"--logits", "", SWITCH, AT(logits), 0, "write logits instead of probabilities"},
    COMMON_FLAGS};

static const flag route_flags[] = {
    {"--net", "NET.safetensors", TEXT, AT(net), 0, "the net"},
    {"--pool", "POOL.safetensors|Z.npy", TEXT, AT(pool), 0, "the models' embeddings"},
    {"--router", "ROUTER.safetensors", TEXT, AT(router), 0, "one file that holds both (in place of --net and --pool)"},
    {"--encodings", "Q.npy", TEXT, AT(encodings), 0, "query encodings [queries, q_dim]"},
    {"--text", "QUESTION|-", TEXT, AT(question), 0,
     "in their place one question in words; -: a question in each line of stdin"},
    {"--profile", "P.npy", TEXT, AT(profile), 0,
     "with --text: encodings of sample queries, to show the winner's strengths"},
    {"--categories", "FILE", TEXT, AT(categories), 0, "category of each row of --profile, one a line"},
    {"--rows", "A:B", TEXT, AT(rows), 0, "route rows A to B - 1 of --encodings only"},
    {"--texts", "FILE", TEXT, AT(texts), 0,
     "the queries' words, one line for each row of --encodings: shown with them"},
    {"--top", "K", COUNT, AT(top), 0, "how many models to rank for each query (default: 1)"},
    COST_FLAGS,
    {"--all", "", SWITCH, AT(all), 0, "list every query, also if there are more than 20"},
    {"--json", "", SWITCH, AT(json), 0, "as JSON, every query"},
    COMMON_FLAGS};

static const flag eval_flags[] = {
    {"--net", "NET.safetensors", TEXT, AT(net), 0, "the net"},
    {"--pool", "POOL.safetensors|Z.npy", TEXT, AT(pool), 0, "the models' embeddings"},
    {"--router", "ROUTER.safetensors", TEXT, AT(router), 0, "one file that holds both (in place of --net and --pool)"},
    {"--encodings", "Q.npy", TEXT, AT(encodings), 0, "query encodings [n, q_dim]"},
    {"--text", "Q.jsonl", TEXT, AT(text_file), 0, "in their place the queries' words, for a net that reads text"},
    {"--scores", "Y.npy", TEXT, AT(scores), 1, "[models, n]: u1 with 255 = missing, or float with NaN = missing"},
    {"--models", "MODELS.csv", TEXT, AT(models), 0, "names of the rows of --scores: match the pool by name"},
    {"--model-rows", "IDX.npy", TEXT, AT(model_rows), 0, "the rows of --scores that belong to the pool's models"},
    {"--split", "S.npy", TEXT, AT(split), 0, "part of each query: 0 train, 1 val, 2 test"},
    {"--use", "train|val|test|all|NUMBER", TEXT, AT(use), 0, "the part to evaluate on (default: test)"},
    {"--categories", "FILE", TEXT, AT(categories), 0, "category of each query: see below"},
    {"--fully-scored", "", SWITCH, AT(fully_scored), 0, "only queries on which every model has a score"},
    {"--among", "scored|all", CHOICE_1, AT(among), 0,
     "a query's candidates: models with a score on it (default where some are missing), or all, missing = miss"},
    COST_FLAGS,
    {"--weak", "NAME", TEXT, AT(weak), 0, "with --strong: how much of the gap between the two routing recovers (APGR)"},
    {"--strong", "NAME", TEXT, AT(strong), 0, "the other of the two"},
    {"--svg", "FILE", TEXT, AT(svg), 0, "the frontier of quality against mean cost, as a picture"},
    {"--json", "", SWITCH, AT(json), 0, "as JSON"},
    COMMON_FLAGS};

static const command commands[] = {
    {"info", "Say what a file holds: net, pool, router file, tensors or an array.", info_flags, run_info,
     "Example:\n  locus info router.safetensors\n"},
    {"embed", "Turn evaluations into model embeddings.", embed_flags, run_embed,
     "MODELS.csv has a header line; the columns name (required), params_b, cost and available (0, 1, true, false) are\n"
     "used. A missing score (255, NaN, mask 0) is as if the evaluation did not exist. The result does not depend on "
     "the\n"
     "order of the evaluations, the threads or the path.\n\n"
     "Example:\n  locus embed --net net.safetensors --encodings q.npy --scores y.npy --models models.csv --out "
     "pool.safetensors\n"},
    {"train", "Learn a net from evaluations alone.", train_flags, run_train,
     "Ctrl-C ends it early: the best weights so far are saved, whole, and with --resume the state to go on from. The\n"
     "result depends on data, flags and seed, not on the threads. Afterwards: locus embed, locus eval.\n\n"
     "Example:\n  locus train --encodings q.npy --scores y.npy --split split.npy --anchors 1024 --out "
     "net.safetensors\n"},
    {"encode", "Turn texts into query encodings with the net's own text encoder.", encode_flags, run_encode,
     "Example:\n  locus encode --net net.safetensors --text queries.jsonl --out q.npy\n"},
    {"predict", "Predict how likely each model answers each query right.", predict_flags, run_predict,
     "Example:\n  locus predict --net net.safetensors --pool pool.safetensors --encodings q.npy --out p.npy\n"},
    {"route", "Choose the model for each query.", route_flags, run_route,
     "Give --net and --pool, or one of them if that file holds both. Equal utilities go to the higher logit, then to "
     "the\n"
     "lower index. Rules: best; default-kept, beat-default (--default); default-excluded (it is unavailable or too "
     "dear).\n" COST_HELP "\n"
     "Example:\n  locus route --router router.safetensors --encodings q.npy --top 3 --default GPT-4o --margin 0.05\n"
     "  locus route --router router.safetensors --text \"Is 2^61 - 1 a prime number?\"\n"},
    {"eval", "Measure routing and prediction against known scores.", eval_flags, run_eval,
     "A missing score is unknown: see --among. It is left out of the prediction figures. The best single model is "
     "chosen\n"
     "on part 0 of --split; without it in hindsight. --categories: a text file with one category per line, a "
     ".jsonl\n"
     "file with a \"category\" in each line, or an .npy of whole numbers.\n\n"
     "Columns: hit@1 of the router, the best single model, a random model and an oracle; hit@3, hit@5; share of right\n"
     "predictions; binary cross-entropy, Brier score, area under the ROC curve, calibration error; models chosen.\n"
     "Graded scores: also means of the scores themselves.\n\n"
     "With --costs, --prices or costs in the pool also the frontier of quality (mean score) against mean cost over "
     "all\n"
     "prices of cost, next to the zero router (the hull of single models), a random model and the oracle; AIQ, the "
     "mean\n"
     "quality of the hull over the single models' costs (RouterBench); what quality costs, and saves against the best\n"
     "single model. Intervals: 90 %, paired bootstrap over queries.\n" COST_HELP "\n"
     "Example:\n  locus eval --router router.safetensors --encodings q.npy --scores y.npy --split split.npy --use "
     "test\n"},
    {"compare", "Compare two models: distance, accuracy, agreement, where they differ.", compare_flags, run_compare,
     "With --scores and an encoder in the net, intervals come from embeddings of resampled evaluations.\n\n"
     "Example:\n  locus compare Yi-34B Qwen1.5-110B --router router.safetensors --encodings q.npy --categories "
     "c.txt\n"},
    {"neighbours", "Find the models that are most alike, to stand in for one another.", neighbours_flags,
     run_neighbours,
     "Models that are not available are no neighbours. Metrics: cosine and euclidean of the embeddings; chances, the "
     "root\n"
     "mean square difference of the predicted chances on the sample queries, which finds the best stand-ins;\n"
     "disagreement, the expected share of unlike answers if answers were independent.\n\n"
     "Example:\n  locus neighbours Yi-34B --router router.safetensors --encodings q.npy --svg map.svg\n"},
    {"cluster", "Group the models of a pool.", cluster_flags, run_cluster,
     "Example:\n  locus cluster --router router.safetensors --encodings q.npy --count 6 --svg clusters.svg\n"},
    {"portfolio", "Choose a few models that do the work of all.", portfolio_flags, run_portfolio,
     "The value of a set is the mean over the sample queries of the best predicted chance in it. The bound says how "
     "much\n"
     "better any other set within the same limits could be at most.\n\n"
     "Example:\n  locus portfolio --router router.safetensors --encodings q.npy --budget 100 --svg curve.svg\n"},
    {"search", "Find models by the accuracy wished in each category.", search_flags, run_search,
     "Categories that are not named do not matter.\n\n"
     "Example:\n  locus search --router router.safetensors --encodings q.npy --categories c.txt --want "
     "math=0.5,law=40%:2\n"},
    {"duplicates", "Find models that are one and the same, or copies.", duplicates_flags, run_duplicates,
     "With --scores: an exact test of how rarely two models disagree; where two have no query in common, a test of\n"
     "their embeddings' distance against what resampled evaluations give.\n\n"
     "Example:\n  locus duplicates --router router.safetensors --encodings q.npy --scores y.npy\n"},
    {"atlas", "Show the pool as one HTML page: map, neighbours, profiles, portfolios, mixes.", atlas_flags, run_atlas,
     "The page needs nothing but a browser and reaches for nothing. The sample queries stand for those that will be\n"
     "asked: expected accuracy, agreement, portfolios and mixes are means over them. With --scores the models are\n"
     "embedded again from resampled evaluations, and the page shows how sure its figures are.\n\n"
     "Example:\n  locus atlas --router router.safetensors --encodings q.npy --categories c.txt --html atlas.html\n"},
    {"next", "Say what to ask a new model next, and whether enough is known.", next_flags, run_next,
     "The pool needs a memory (see locus embed --memory).\n\n"
     "Example:\n  locus next --router router.safetensors --encodings q.npy --scores answers.npy --batch 8\n"},
    {"explain", "Say why a model is predicted to answer a query right or wrong.", explain_flags, run_explain,
     "--scores may be the model's own, [n], or have a row for each model of the pool.\n\n"
     "Example:\n  locus explain --router router.safetensors --encodings q.npy --scores y.npy --query new.npy --row "
     "3\n"},
    {"update", "Put further evaluations of a model into a pool.", update_flags, run_update,
     "The model is embedded from all of its evaluations, and its part of the pool's memory is learned anew. The file\n"
     "appears whole or stays as it was.\n\n"
     "Example:\n  locus update Yi-34B --router router.safetensors --encodings q.npy --scores y.npy --more-encodings "
     "q2.npy "
     "--more-scores y2.npy\n"},
    {"calibrate", "Make the predicted chances of a pool come true.", calibrate_flags, run_calibrate,
     "The evaluations must be ones that neither net nor embeddings have seen. Without --split the figures come from "
     "the\n"
     "half of the queries that was not learned from, and the pool keeps what all of them teach.\n\n"
     "Example:\n  locus calibrate --router router.safetensors --encodings q.npy --scores y.npy --svg "
     "reliability.svg\n"}};

enum { COMMANDS = sizeof commands / sizeof *commands };

static int print_overview(FILE *out)
{
    fprintf(out, "locus %s: which language model should answer this query?\n\nlocus COMMAND [flags]\n\n",
            locus_version());
    for (int i = 0; i < COMMANDS; ++i) fprintf(out, "  %-12s%s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\nlocus COMMAND --help tells more; locus --version prints the version.\n"
                 "Exit status: 0 done, 1 failed, 2 wrong use.\n");
    return out == stdout ? DONE : MISUSED;
}

static int run(session *s, int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "", *nearest = NULL;
    const command *c = NULL;
    size_t distance = SIZE_MAX;
    s->opt.max_cost = s->opt.lambda = s->opt.budget = s->opt.margin = s->opt.memory = s->opt.height = s->opt.cost =
        -1.0;
    s->opt.noise = s->opt.dropout = s->opt.weight_decay = s->opt.encoder_rate = s->opt.predictor_rate = -1.0;
    if (argc < 2) return print_overview(stderr);
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || (!strcmp(word, "help") && argc == 2))
        return print_overview(stdout);
    if (!strcmp(word, "--version")) return printf("locus %s\n", locus_version()) < 0;
    if (!strcmp(word, "help")) word = argv[2], s->opt.help = 1;
    for (int i = 0; i < COMMANDS; ++i) {
        if (strcmp(word, commands[i].name) == 0) c = &commands[i];
        consider(word, commands[i].name, &nearest, &distance);
    }
    if (!c)
        return misuse(s, "unknown command %s%s%s%s", word, nearest ? " (did you mean " : "", nearest ? nearest : "",
                      nearest ? "?)" : "");
    s->command = c->name;
    if (!s->opt.help) {
        int status = parse_flags(s, c, argc - 2, argv + 2);
        if (status) return status;
    }
    if (s->opt.help) return print_help(c), DONE;
    return c->run(s);
}

int main(int argc, char **argv)
{
    static session s; // zeroed
    int status = run(&s, argc, argv);
    close_session(&s);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "locus: the output cannot be written\n");
        if (status == DONE) status = FAILED;
    }
    return status;
}
