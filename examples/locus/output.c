// SPDX-License-Identifier: MIT
// The writer of every output: tables of text that a terminal can show, JSON, and files that appear whole or not at all.

#include "locus_tool.h"

// ---------------------------------------------------------------------------------------------------------------- text

size_t utf8_bytes(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t n = c[0] < 0x80 ? 1 : c[0] < 0xC2 ? 0 : c[0] < 0xE0 ? 2 : c[0] < 0xF0 ? 3 : c[0] < 0xF5 ? 4 : 0;
    for (size_t i = 1; i < n; ++i)
        if ((c[i] & 0xC0) != 0x80) return 0;
    if ((c[0] == 0xE0 && c[1] < 0xA0) || (c[0] == 0xED && c[1] > 0x9F)) return 0; // overlong; surrogate
    if ((c[0] == 0xF0 && c[1] < 0x90) || (c[0] == 0xF4 && c[1] > 0x8F)) return 0; // overlong; beyond Unicode
    return n;
}

int is_control(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    return utf8_bytes(text) == 0 || *c < 0x20 || *c == 0x7F || (c[0] == 0xC2 && c[1] < 0xA0);
}

int text_width(const char *text)
{
    int columns = 0;
    for (; *text; text += utf8_bytes(text) ? utf8_bytes(text) : 1) ++columns;
    return columns;
}

int widest(const char *const *texts, size_t count, int least)
{
    for (size_t i = 0; i < count; ++i)
        if (text_width(texts[i]) > least) least = text_width(texts[i]);
    return least;
}

// Control characters and bytes that are no UTF-8 as '?': names come out of files.
static void print_text(FILE *f, const char *text, int width, int left)
{
    int room = width - text_width(text);
    if (!left && room > 0) fprintf(f, "%*s", room, "");
    for (size_t n; *text; text += n ? n : 1) {
        n = utf8_bytes(text);
        if (is_control(text)) fputc('?', f);
        else fwrite(text, 1, n, f);
    }
    if (left && room > 0) fprintf(f, "%*s", room, "");
}

// "71.2 %", "71.2 % (68.0 to 74.3)" where the ends are known, "-" where it is not.
static void print_percent(FILE *f, locus_interval x, int width)
{
    char text[64] = "-";
    if (is_finite(x.value) && is_finite(x.low) && is_finite(x.high))
        snprintf(text, sizeof text, "%.1f %% (%.1f to %.1f)", 100.0 * x.value, 100.0 * x.low, 100.0 * x.high);
    else if (is_finite(x.value)) snprintf(text, sizeof text, "%.1f %%", 100.0 * x.value);
    fprintf(f, "%*s", width, text);
}

locus_interval just(double value) { return (locus_interval){.value = value, .low = NAN, .high = NAN}; }

void say_list(FILE *f, const char *format, va_list values)
{
    for (; *format; ++format) {
        char spec[32] = "%", kind;
        size_t used = 1;
        int width = 0, precise = 0;
        if (*format != '%') {
            fputc(*format, f);
            continue;
        }
        for (++format; strchr("+-.0123456789*", *format) && *format && used < 20; ++format) {
            if (*format == '*') width = va_arg(values, int), used += (size_t)sprintf(spec + used, "%d", width);
            else spec[used++] = *format;
            precise |= *format == '.';
            if (!precise && *format >= '0' && *format <= '9') width = 10 * width + (*format - '0');
        }
        kind = *format;
        spec[used] = kind;
        if (kind == '%') fputc('%', f);
        else if (kind == 'd') fprintf(f, spec, va_arg(values, int));
        else if (kind == 's') fprintf(f, spec, va_arg(values, const char *));
        else if (kind == 't') print_text(f, va_arg(values, const char *), width, spec[1] == '-');
        else if (kind == 'p') print_percent(f, just(va_arg(values, double)), width);
        else if (kind == 'i') print_percent(f, *va_arg(values, const locus_interval *), width);
        else if (kind == 'z') strcpy(spec + used, "zu"), fprintf(f, spec, va_arg(values, size_t));
        else {
            double value = va_arg(values, double);
            if (is_finite(value)) fprintf(f, spec, value);
            else fprintf(f, "%*s", width, "-");
        }
    }
}

void say(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    say_list(stdout, format, values);
    va_end(values);
}

void print_words(const char *const *texts, size_t row, int columns)
{
    if (!texts) return;
    const char *c = texts[row];
    printf("  ");
    for (int k = 0; *c && k < columns; ++k) {
        size_t n = utf8_bytes(c) ? utf8_bytes(c) : 1;
        if (n == 1 && ((unsigned char)*c < 0x20 || *c == 0x7F)) putchar(' ');
        else fwrite(c, 1, n, stdout);
        c += n;
    }
    if (*c) printf("...");
}

// ---------------------------------------------------------------------------------------------------------------- JSON

static struct {
    FILE *f;   // NULL: stdout
    char last; // what was printed last; 'v': a value
} writer = {.last = '\n'};

void json_into(FILE *f)
{
    writer.f = f == stdout ? NULL : f;
    writer.last = '\n';
}

// In a file it may stand in a script element of HTML: there no text ends the element or the line.
static void json_string(FILE *f, const char *text)
{
    fputc('"', f);
    for (size_t n; *text; text += n ? n : 1) {
        const unsigned char *c = (const unsigned char *)text;
        n = utf8_bytes(text);
        if (n == 0) fputs("\\ufffd", f);
        else if (*c == '"' || *c == '\\') fprintf(f, "\\%c", *c);
        else if (*c < 0x20 || (writer.f && strchr("<>&'\x7F", *c))) fprintf(f, "\\u%04x", (unsigned)*c);
        else if (writer.f && n == 3 && c[0] == 0xE2 && c[1] == 0x80 && (c[2] & 0xFE) == 0xA8)
            fprintf(f, "\\u20%02x", c[2] - 0x80u);
        else fwrite(text, 1, n, f);
    }
    fputc('"', f);
}

// With so many digits; 0: the shortest decimal that reads back as the same number (the same float, if is_float). null
// if it is not finite.
static void json_number(FILE *f, double value, int is_float, int digits)
{
    char text[40];
    for (int k = digits ? digits : 6; k <= (digits ? digits : 17); ++k) {
        snprintf(text, sizeof text, "%.*g", k, value);
        double back = strtod(text, NULL);
        if (is_float ? (float)back == (float)value : !(back < value) && !(back > value)) break;
    }
    fputs(is_finite(value) ? text : "null", f);
}

void json(const char *format, ...)
{
    FILE *f = writer.f ? writer.f : stdout;
    const locus_interval *x;
    va_list values;
    va_start(values, format);
    const char first = format[*format == '\n'];
    if (first && strchr("'{[%", first) && !strchr("{[:,\n", writer.last)) fputc(',', f);
    for (; *format; ++format) {
        writer.last = *format == '%' ? 'v' : *format;
        if (*format != '%') {
            fputc(*format == '\'' ? '"' : *format, f);
            continue;
        }
        int digits = format[1] >= '1' && format[1] <= '9' ? *++format - '0' : 0;
        switch (*++format) {
        case 's': json_string(f, va_arg(values, const char *)); break;
        case 'u': fprintf(f, "%zu", va_arg(values, size_t)); break;
        case 'b': fputs(va_arg(values, int) ? "true" : "false", f); break;
        case 'r': fputs(va_arg(values, const char *), f); break;
        case 'i':
            x = va_arg(values, const locus_interval *);
            writer.last = ':';
            json("{'value':%d,'low':%d,'high':%d}", x->value, x->low, x->high);
            break;
        default: json_number(f, va_arg(values, double), *format == 'f', digits);
        }
    }
    va_end(values);
}

// --------------------------------------------------------------------------------------------------------------- files

FILE *file_begin(const char *path)
{
    tool.path = path;
    tool.temporary = phrase("%s.tmp", path);
    tool.file = fopen(tool.temporary, "wb");
    if (!tool.file) fail("%s: the file cannot be written", path);
    return tool.file;
}

void file_end(void)
{
    int bad = ferror(tool.file) | fclose(tool.file);
    tool.file = NULL;
#ifdef _WIN32
    if (!bad) remove(tool.path);
#endif
    if (!bad && rename(tool.temporary, tool.path) == 0) return;
    remove(tool.temporary);
    fail("%s: the file cannot be written", tool.path);
}

void file_drop(void)
{
    if (!tool.file) return;
    fclose(tool.file);
    remove(tool.temporary);
    tool.file = NULL;
}
