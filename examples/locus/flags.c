// SPDX-License-Identifier: MIT
// The parser of flags: every command has a table of them; parser, help text and errors come from it.

#include "locus_tool.h"

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
void consider(const char *word, const char *candidate, const char **best, size_t *distance)
{
    size_t length = strlen(word), d = edit_distance(word, candidate);
    if (length > 3 && strncmp(word, candidate, length) == 0) d = 1; // the beginning of it
    if (d < *distance && d <= 1 + length / 4) {
        *best = candidate;
        *distance = d;
    }
}

// Place of `value` among the words "one|two|three", or -1.
int find_word(const char *words, const char *value)
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
int read_number(const char *text, double *value)
{
    char *end;
    if (!((*text >= '0' && *text <= '9') || *text == '-' || *text == '+' || *text == '.')) return 0;
    *value = strtod(text, &end);
    return *end == '\0' && is_finite(*value);
}

int read_count(const char *text, size_t *value)
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

int parse_flags(session *s, const command *c, int argc, char **argv)
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

void print_help(const command *c)
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
