// SPDX-License-Identifier: MIT
// The parser of flags. Every command has a table of them; parser, help text and errors come from it.

#include "locus_tool.h"

// ------------------------------------------------------------------------------------------------ what might be meant

// Changes that make b out of a; capitals count as small letters.
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[256], n = strlen(b);
    if (n > 255) return SIZE_MAX;
    for (size_t j = 0; j <= n; ++j) row[j] = j;
    for (size_t i = 1; *a; ++a, ++i) {
        size_t previous = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; ++j) {
            size_t saved = row[j];
            size_t change = previous + (tolower((unsigned char)*a) != tolower((unsigned char)b[j - 1]));
            size_t shift = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = change < shift ? change : shift;
            previous = saved;
        }
    }
    return row[n];
}

void consider(guess *g, const char *candidate)
{
    size_t length = strlen(g->word), d = edit_distance(g->word, candidate);
    if (length > 3 && strncmp(g->word, candidate, length) == 0) d = 1; // the beginning of it
    if (d > 1 + length / 4 || (g->nearest && d >= g->distance)) return;
    g->nearest = candidate;
    g->distance = d;
}

const char *did_you_mean(const guess *g) { return g->nearest ? phrase(" (did you mean %s?)", g->nearest) : ""; }

// -------------------------------------------------------------------------------------------------------------- values

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

static void set_flag(const flag *f, const char *value)
{
    void *target = (char *)&opt + f->target;
    int place = 0;
    switch (f->kind) {
    case SWITCH: *(int *)target = 1; break;
    case TEXT:
    case POSITION:
        if (*value == '\0') misuse("%s: the value is empty", f->name);
        *(const char **)target = value;
        break;
    case COUNT:
        if (!read_count(value, target) || *(size_t *)target == 0)
            misuse("%s: expected a whole number from 1, found \"%s\"", f->name, value);
        break;
    case NUMBER:
        if (!read_number(value, target) || *(double *)target < 0.0)
            misuse("%s: expected a number from 0, found \"%s\"", f->name, value);
        break;
    case CHOICE:
    case CHOICE_1:
        if ((place = find_word(f->argument, value)) < 0)
            misuse("%s: expected %s, found \"%s\"", f->name, f->argument, value);
        *(int *)target = place + (f->kind == CHOICE_1);
    }
}

// --------------------------------------------------------------------------------------------------------- the parser

void parse_flags(const command *c, int argc, char **argv)
{
    unsigned long long given = 0; // bit i: flag i of the table
    for (int i = 0; i < argc; ++i) {
        const char *word = strcmp(argv[i], "-h") ? argv[i] : "--help", *equals = strchr(word, '='), *value = word;
        int named = word[0] == '-' && word[1] != '\0';
        size_t length = named && equals ? (size_t)(equals - word) : strlen(word), k = 0;
        guess meant = {.word = word};
        for (; c->flags[k].name; ++k) {
            const flag *f = &c->flags[k];
            if (!named && f->kind == POSITION && !(given >> k & 1)) break;
            if (named && strlen(f->name) == length && memcmp(f->name, word, length) == 0) break;
            if (named) consider(&meant, f->name);
        }
        const flag *f = &c->flags[k];
        if (!f->name && !named) misuse("unexpected \"%s\"", word);
        if (!f->name) misuse("unknown flag %s%s", word, did_you_mean(&meant));
        if (given >> k & 1) misuse("%s is given twice", f->name);
        given |= 1ull << k;
        if (f->kind == SWITCH && equals) misuse("%s takes no value", f->name);
        if (named && f->kind != SWITCH) {
            if (!equals && (i + 1 >= argc || strncmp(argv[i + 1], "--", 2) == 0))
                misuse("%s needs a value: %s", f->name, f->argument);
            value = equals ? equals + 1 : argv[++i];
        }
        set_flag(f, value);
    }
    if (opt.help) return;
    for (const flag *f = c->flags; f->name; ++f)
        if (f->required && !(given >> (f - c->flags) & 1))
            misuse("%s%s%s is required: %s", f->name, *f->argument ? " " : "", f->argument, f->help);
    if (opt.threads > 1024) misuse("--threads: expected at most 1024, found %zu", opt.threads);
    if (opt.isa != LOCUS_ISA_AUTO && !locus_isa_supported((locus_isa)opt.isa))
        fail("--isa %s: this machine does not have it", locus_isa_name((locus_isa)opt.isa));
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
