// SPDX-License-Identifier: MIT
// What a command owns, what it says, how far it is: memory, messages, threads, progress.

#include "locus_tool.h"

// By their bits: -ffast-math takes isnan and isfinite out.
int is_finite(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits & 0x7ff0000000000000u) != 0x7ff0000000000000u;
}

int is_nan(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits & 0x7fffffffffffffffu) > 0x7ff0000000000000u;
}

// "locus embed: ..." on stderr.
static void complain(const session *s, const char *format, va_list arguments)
{
    fprintf(stderr, "locus%s%s: ", s->command ? " " : "", s->command ? s->command : "");
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

PRINTF_LIKE(2, 3) int fail(const session *s, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(s, format, arguments);
    va_end(arguments);
    return FAILED;
}

PRINTF_LIKE(2, 3) int misuse(const session *s, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(s, format, arguments);
    va_end(arguments);
    fprintf(stderr, "See: locus%s%s --help\n", s->command ? " " : "", s->command ? s->command : "");
    return MISUSED;
}

// What the library says, with the flag (info has none) and the file that it is about, once.
int fail_library(const session *s, const char *flag_name, const char *path)
{
    size_t length = strlen(path);
    int named = strncmp(s->err.message, path, length) == 0 && s->err.message[length] == ':';
    return fail(s, "%s%s%s%s%s", flag_name, *flag_name ? " " : "", named ? "" : path, named ? "" : ": ",
                s->err.message);
}

// Zeroed memory for count * size bytes, freed with the session; NULL (and a message) if there is none.
void *take(session *s, size_t count, size_t size)
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

void close_session(session *s)
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
    locus_threads_destroy(s->parallel);
#endif
    while (s->blocks) {
        block *next = s->blocks->next;
        free(s->blocks);
        s->blocks = next;
    }
}

int start_threads(session *s)
{
#ifndef LOCUS_NO_THREADS
    if (locus_threads_create(&s->parallel, s->opt.threads, &s->err))
        return fail(s, "--threads %zu: %s", s->opt.threads, s->err.message);
#else
    (void)s;
#endif
    return DONE;
}

double seconds(void)
{
#if HAVE_POSIX
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
#else
    return (double)time(NULL);
#endif
}

void progress_begin(session *s, const char *task)
{
    s->task = task;
    s->started = seconds();
    s->shown = 0.0;
}

// A line on the terminal, for work that takes more than a second; returns 0 (locus_run.progress: go on).
int progress(void *user, size_t done, size_t total)
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

void progress_end(session *s)
{
    if (s->shown > 0.0) fprintf(stderr, "\r%110s\r", "");
}

// "25 models, average linkage, ..." in memory of the session.
PRINTF_LIKE(2, 3) const char *phrase(session *s, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char *copy = (char *)take(s, strlen(text) + 1, 1);
    return copy ? strcpy(copy, text) : "";
}
