// SPDX-License-Identifier: MIT
// What a command owns, what it says when it cannot go on, and how far it is.

#include "locus_tool.h"

session tool;
options opt;

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

// ------------------------------------------------------------------------------------------------------------- the end

static void close_session(void)
{
    file_drop();
    locus_train_destroy(tool.trainer);
    locus_log_destroy(tool.log);
    locus_pool_destroy(tool.redrawn);
    locus_pool_destroy(tool.pool);
    locus_net_destroy(tool.net);
    if (tool.net_file_open) locus_safetensors_close(&tool.net_file);
    locus_text_destroy(tool.text_encoder);
    locus_texts_close(&tool.texts);
    locus_texts_close(&tool.labels);
    while (tool.array_count) locus_array_close(&tool.arrays[--tool.array_count]);
#ifndef LOCUS_NO_THREADS
    locus_threads_destroy(tool.run.parallel);
#endif
    while (tool.blocks) {
        block *next = tool.blocks->next;
        free(tool.blocks);
        tool.blocks = next;
    }
}

void leave(int status)
{
    close_session();
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "locus: the output cannot be written\n");
        if (status == DONE) status = FAILED;
    }
    exit(status);
}

static void complain_list(const char *format, va_list arguments)
{
    progress_end();
    fprintf(stderr, "locus%s%s: ", tool.command ? " " : "", tool.command ? tool.command : "");
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain_list(format, arguments);
    va_end(arguments);
}

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain_list(format, arguments);
    va_end(arguments);
    leave(FAILED);
}

void misuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain_list(format, arguments);
    va_end(arguments);
    fprintf(stderr, "See: locus%s%s --help\n", tool.command ? " " : "", tool.command ? tool.command : "");
    leave(MISUSED);
}

void fail_file(const char *flag_name, const char *path)
{
    size_t length = strlen(path);
    int named = strncmp(tool.err.message, path, length) == 0 && tool.err.message[length] == ':';
    fail("%s%s%s%s%s", flag_name, *flag_name ? " " : "", named ? "" : path, named ? "" : ": ", tool.err.message);
}

void must(locus_status status)
{
    if (status) fail("%s", tool.err.message);
}

void must_for(locus_status status, const char *what)
{
    if (status) fail("%s: %s", what, tool.err.message);
}

void must_file(locus_status status, const char *flag_name, const char *path)
{
    if (status) fail_file(flag_name, path);
}

// -------------------------------------------------------------------------------------------------------------- memory

void *take(size_t count, size_t size)
{
    block *b = NULL;
    if (size == 0 || count <= (SIZE_MAX - sizeof(block)) / size) b = calloc(1, sizeof(block) + count * size);
    if (!b) fail("out of memory: %zu x %zu bytes", count, size);
    b->next = tool.blocks;
    tool.blocks = b;
    return b + 1;
}

const char *phrase(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = take((size_t)(length > 0 ? length : 0) + 1, 1);
    va_start(arguments, format);
    vsnprintf(text, (size_t)(length > 0 ? length : 0) + 1, format, arguments);
    va_end(arguments);
    return text;
}

void start_run(void)
{
    tool.run.isa = (locus_isa)opt.isa;
#ifndef LOCUS_NO_THREADS
    if (locus_threads_create(&tool.run.parallel, opt.threads, &tool.err))
        fail("--threads %zu: %s", opt.threads, tool.err.message);
#endif
    tool.quiet = tool.run;
    tool.run.progress = progress;
}

// ------------------------------------------------------------------------------------------------------------ progress

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

void progress_begin(const char *task)
{
    tool.task = task;
    tool.started = seconds();
    tool.shown = 0.0;
}

int progress_due(double interval)
{
    double now = seconds();
    if (now - tool.started < 1.0 || now - tool.shown < interval) return 0;
#if HAVE_POSIX
    if (!isatty(fileno(stderr))) return 0;
#else
    return 0;
#endif
    tool.shown = now;
    return 1;
}

int progress(void *user, size_t done, size_t total)
{
    double share = total ? (double)done / (double)total : 1.0;
    (void)user;
    if (!tool.task || share <= 0.0 || !progress_due(0.1)) return 0;
    fprintf(stderr, "\r%s: %3.0f %%, %.0f s left    ", tool.task, 100.0 * share,
            (tool.shown - tool.started) * (1.0 - share) / share);
    fflush(stderr);
    return 0;
}

void progress_end(void)
{
    if (tool.shown > 0.0) fprintf(stderr, "\r%110s\r", "");
    tool.shown = 0.0;
    tool.task = NULL;
}
