// SPDX-License-Identifier: MIT
// The writer: text that a terminal can show, JSON, figures, and files that appear whole or not at all.

#include "locus_tool.h"

// Bytes of the UTF-8 character at text; 0 if it is none.
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

// Print text padded to `width` columns (negative: on the left), with control characters and bytes that are no UTF-8
// as '?': names come out of files. Returns the columns printed, taking one for each character.
int print_text(const char *text, int width)
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

int text_width(const char *text)
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
void json(const char *format, ...)
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

// A text file that appears whole or not at all.
FILE *text_begin(session *s, const char *path, char temporary[4096])
{
    snprintf(temporary, 4096, "%.4080s.tmp", path);
    FILE *f = fopen(temporary, "wb");
    if (!f) fail(s, "%s: the file cannot be written", path);
    return f;
}

int text_end(session *s, FILE *f, const char *temporary, const char *path)
{
    int bad = ferror(f) | fclose(f);
#ifdef _WIN32
    if (!bad) remove(path);
#endif
    if (!bad && rename(temporary, path) == 0) return DONE;
    remove(temporary);
    return fail(s, "%s: the file cannot be written", path);
}

const char *figure(char text[16], double value, double scale, int decimals)
{
    if (is_finite(value)) snprintf(text, 16, "%.*f", decimals, scale * value);
    else snprintf(text, 16, "-");
    return text;
}

void print_interval(const char *before, locus_interval x, const char *unit)
{
    printf("%s%+.2f%s", before, 100.0 * x.value, unit);
    if (is_finite(x.low) && is_finite(x.high)) printf(" (%+.2f to %+.2f)", 100.0 * x.low, 100.0 * x.high);
}

void json_range(const char *name, locus_interval x)
{
    json("%s:{'value':%d,'low':%d,'high':%d}", name, x.value, x.low, x.high);
}

// "-" for an unknown cost.
const char *cost_text(char text[32], double cost)
{
    if (is_nan(cost)) return "-";
    snprintf(text, 32, "%.6g", cost);
    return text;
}

const char *percent(char text[48], double value)
{
    if (is_finite(value)) snprintf(text, 48, "%.1f %%", 100.0 * value);
    else snprintf(text, 48, "-");
    return text;
}

// "71.2 % (68.0 to 74.3)"
const char *percents(char text[48], const locus_interval *x)
{
    if (is_finite(x->value) && is_finite(x->low) && is_finite(x->high))
        snprintf(text, 48, "%.1f %% (%.1f to %.1f)", 100.0 * x->value, 100.0 * x->low, 100.0 * x->high);
    else percent(text, x->value);
    return text;
}

void json_interval(const char *name, const locus_interval *x)
{
    json("'");
    printf("%s", name);
    json("':{'value':%d,'low':%d,'high':%d}", x->value, x->low, x->high);
}

// The query's words on one line, if there are any, cut to `columns`.
void print_words(const session *s, const char *const *texts, size_t row, int columns)
{
    (void)s;
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
