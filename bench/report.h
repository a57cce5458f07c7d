// SPDX-License-Identifier: MIT
// The report of bench/reproduce.c (included there): RESULTS.md and its pictures, from the lines of the CSV alone.
//     >>summaries  >>tables  >>targets  >>pictures  >>report
#ifndef REPORT_H
#define REPORT_H

// ---------------------------------------------------------------------------------------------------- >>summaries

enum { MAX_SEEDS = 32, MAX_METHODS = 32 };

typedef struct summary {
    double mean, sd; // over seeds; sd NaN for one seed
    size_t count;    // seeds
} summary;

typedef struct query { // which lines; fold NULL: the mean over all folds, weighted by `weight` (V_COUNT: equally)
    const char *pool, *experiment, *method;
    size_t anchors;
    const char *fold;
    size_t n, folds; // folds that must be there
    value_id weight;
} query;

static summary summarise(const results *all, const query *q, value_id value)
{
    double sum[MAX_SEEDS] = {0}, weight[MAX_SEEDS] = {0};
    size_t folds[MAX_SEEDS] = {0};
    summary s = {0.0, 0.0, 0};
    for (size_t i = 0; i < all->count; i++) {
        const result *r = &all->list[i];
        double w;
        if (r->anchors != q->anchors || r->n != q->n || r->seed >= MAX_SEEDS || isnan(r->v[value]) ||
            strcmp(r->pool, q->pool) != 0 || strcmp(r->experiment, q->experiment) != 0 ||
            strcmp(r->method, q->method) != 0 || (q->fold && strcmp(r->fold, q->fold) != 0))
            continue;
        w = q->weight == V_COUNT ? 1.0 : r->v[q->weight];
        sum[r->seed] += w * r->v[value];
        weight[r->seed] += w;
        folds[r->seed]++;
    }
    for (int pass = 0; pass < 2; pass++) {
        for (size_t k = 0; k < MAX_SEEDS; k++) {
            const double x = weight[k] > 0.0 ? sum[k] / weight[k] : 0.0;
            if (folds[k] < q->folds || folds[k] == 0) continue;
            if (pass == 0) {
                s.mean += x;
                s.count++;
            } else {
                s.sd += (x - s.mean) * (x - s.mean);
            }
        }
        if (s.count == 0) break;
        if (pass == 0) s.mean /= (double)s.count;
    }
    s.sd = s.count > 1 ? sqrt(s.sd / (double)(s.count - 1)) : NAN;
    if (s.count == 0) s.mean = NAN;
    return s;
}

static summary pool_figure(const results *all, const char *where, const char *method, size_t anchors, value_id value)
{
    const query q = {where, "pool", method, anchors, NULL, 0, 1, V_COUNT};
    return summarise(all, &q, value);
}

// New models known by n evaluations: prediction figures over their pairs, routing over the whole pool.
static summary new_figure(const results *all, const char *where, job_kind kind, const char *method, size_t n,
                          value_id value)
{
    query q = {where, kind_names[kind], method, ONBOARD_N, NULL, n, FOLDS, V_COUNT};
    if (kind == JOB_FAMILY) q.folds = FAMILIES;
    if (value == V_prediction || value == V_brier || value == V_bce || value == V_ece) q.weight = V_pairs;
    return summarise(all, &q, value);
}

typedef struct view { // what the CSV has
    const results *all;
    const pool *pools;
    const char *methods[MAX_METHODS];
    size_t method_count, sizes[16], size_count;
    int has_locus;
} view;

static void view_make(view *v, const results *all, const pool *pools)
{
    const base_method *m;
    memset(v, 0, sizeof *v);
    v->all = all;
    v->pools = pools;
    for (size_t i = 0; i < all->count; i++) {
        const result *r = &all->list[i];
        size_t k = 0;
        if (strcmp(r->experiment, "pool") != 0) continue;
        if (!strcmp(r->method, "LOCUS")) v->has_locus = 1;
        while (k < v->size_count && v->sizes[k] < r->anchors) k++;
        if ((k < v->size_count && v->sizes[k] == r->anchors) || v->size_count == 16) continue;
        memmove(v->sizes + k + 1, v->sizes + k, (v->size_count - k) * sizeof v->sizes[0]);
        v->sizes[k] = r->anchors;
        v->size_count++;
    }
    for (size_t i = 0; (m = method_at(i)) != NULL && v->method_count < MAX_METHODS; i++) {
        int there = 0;
        for (size_t k = 0; k < all->count && !there; k++) there = !strcmp(all->list[k].method, m->name);
        if (there) v->methods[v->method_count++] = m->name;
    }
}

static int is_locus(const char *method) { return strncmp(method, "LOCUS", 5) == 0; }

// The baseline of the highest figure at this size (lowest where low is good); NULL: there is none.
static const char *baseline_best(const view *v, const char *where, size_t anchors, value_id value, summary *best)
{
    const char *name = NULL;
    for (size_t i = 0; i < v->method_count; i++) {
        const summary s = pool_figure(v->all, where, v->methods[i], anchors, value);
        if (is_locus(v->methods[i]) || s.count == 0) continue;
        if (name && s.mean <= best->mean) continue;
        *best = s;
        name = v->methods[i];
    }
    return name;
}

// ------------------------------------------------------------------------------------------------------- >>tables

static const char *pool_title(const char *name) { return strcmp(name, "open26") == 0 ? "open 26" : "all 33"; }

static void cell(FILE *f, const summary *s, double scale, int digits, int bold)
{
    const char *mark = bold ? "**" : "";
    if (s->count == 0) {
        fprintf(f, " | ");
    } else if (isnan(s->sd)) {
        fprintf(f, " | %s%.*f%s", mark, digits, scale * s->mean, mark);
    } else {
        fprintf(f, " | %s%.*f%s ± %.*f", mark, digits, scale * s->mean, mark, digits, scale * s->sd);
    }
}

static int is_best(const view *v, const summary *column, size_t at, int low) // random does not compete
{
    if (!strcmp(v->methods[at], "random")) return 0;
    for (size_t i = 0; i < v->method_count; i++) {
        if (column[i].count == 0 || i == at || !strcmp(v->methods[i], "random")) continue;
        if (low ? column[i].mean < column[at].mean : column[i].mean > column[at].mean) return 0;
    }
    return column[at].count > 0;
}

// Rows: methods. Columns: grid[column][method].
static void print_grid(FILE *f, const view *v, summary grid[][MAX_METHODS], size_t columns, double scale, int digits,
                       int low)
{
    for (size_t m = 0; m < v->method_count; m++) {
        int some = 0;
        for (size_t c = 0; c < columns; c++) some |= grid[c][m].count > 0;
        if (!some) continue;
        fprintf(f, "| %s", v->methods[m]);
        for (size_t c = 0; c < columns; c++) cell(f, &grid[c][m], scale, digits, is_best(v, grid[c], m, low));
        fprintf(f, " |\n");
    }
    fprintf(f, "\n");
}

static void head(FILE *f, const char *first, const size_t *numbers, size_t count, const char *last)
{
    fprintf(f, "| %s", first);
    for (size_t i = 0; i < count; i++) {
        if (last && i + 1 == count) {
            fprintf(f, " | %s", last);
        } else {
            fprintf(f, " | %u", (unsigned)numbers[i]);
        }
    }
    fprintf(f, " |\n| ---");
    for (size_t i = 0; i < count; i++) fprintf(f, " | ---:");
    fprintf(f, " |\n");
}

static void pool_table(FILE *f, const view *v, const char *where, const char *title, value_id value, double scale,
                       int digits, int low)
{
    static summary grid[16][MAX_METHODS];
    for (size_t c = 0; c < v->size_count; c++)
        for (size_t m = 0; m < v->method_count; m++)
            grid[c][m] = pool_figure(v->all, where, v->methods[m], v->sizes[c], value);
    fprintf(f, "%s, %s, by evaluations per model:\n\n", title, pool_title(where));
    head(f, "method", v->sizes, v->size_count, NULL);
    print_grid(f, v, grid, v->size_count, scale, digits, low);
}

static void new_table(FILE *f, const view *v, const char *where, job_kind kind, const char *title, value_id value,
                      double scale, int digits, int low)
{
    static summary grid[16][MAX_METHODS];
    for (size_t c = 0; c < ONBOARD_SIZES; c++)
        for (size_t m = 0; m < v->method_count; m++)
            grid[c][m] = new_figure(v->all, where, kind, v->methods[m], onboard_sizes[c], value);
    fprintf(f, "%s, %s:\n\n", title, pool_title(where));
    head(f, "method", onboard_sizes, ONBOARD_SIZES, "1024 (full)");
    print_grid(f, v, grid, ONBOARD_SIZES, scale, digits, low);
}

// Each family alone, prediction on its models from 128 evaluations.
static void family_table(FILE *f, const view *v, const char *where)
{
    fprintf(f, "Prediction accuracy on each family's models from 128 evaluations, %s:\n\n| method", pool_title(where));
    for (size_t k = 0; k < FAMILIES; k++) fprintf(f, " | %s", families[k]);
    fprintf(f, " |\n| ---");
    for (size_t k = 0; k < FAMILIES; k++) fprintf(f, " | ---:");
    fprintf(f, " |\n");
    {
        static summary grid[16][MAX_METHODS];
        for (size_t k = 0; k < FAMILIES; k++) {
            for (size_t m = 0; m < v->method_count; m++) {
                const query q = {where, "family", v->methods[m], ONBOARD_N, families[k], 128, 1, V_COUNT};
                grid[k][m] = summarise(v->all, &q, V_prediction);
            }
        }
        print_grid(f, v, grid, FAMILIES, 100.0, 2, 0);
    }
}

// Evaluations that a method needs for a figure, by linear interpolation in log N; *sign: '=' found, '>' more than its
// greatest size (returned), '<' less than its smallest (returned).
static double needed(const view *v, const char *where, const char *method, value_id value, double wanted, char *sign)
{
    double last_n = 0.0, last = 0.0;
    int some = 0;
    for (size_t c = 0; c < v->size_count; c++) {
        const summary s = pool_figure(v->all, where, method, v->sizes[c], value);
        const double n = (double)v->sizes[c];
        if (s.count == 0) continue;
        if (s.mean >= wanted) {
            *sign = some ? '=' : '<';
            return some ? exp(log(last_n) + (wanted - last) / (s.mean - last) * (log(n) - log(last_n))) : n;
        }
        last_n = n;
        last = s.mean;
        some = 1;
    }
    *sign = '>';
    return last_n;
}

static void efficiency_table(FILE *f, const view *v, const char *where, const char *title, value_id value)
{
    fprintf(f, "%s, %s, by LOCUS's evaluations per model:\n\n", title, pool_title(where));
    head(f, "method", v->sizes, v->size_count, NULL);
    for (size_t m = 0; m < v->method_count; m++) {
        if (is_locus(v->methods[m])) continue;
        fprintf(f, "| %s", v->methods[m]);
        for (size_t c = 0; c < v->size_count; c++) {
            const summary s = pool_figure(v->all, where, "LOCUS", v->sizes[c], value);
            char sign = '=';
            double times;
            if (s.count == 0) {
                fprintf(f, " | ");
                continue;
            }
            times = needed(v, where, v->methods[m], value, s.mean, &sign) / (double)v->sizes[c];
            fprintf(f, " | %s%.2f×", sign == '>' ? "> " : sign == '<' ? "≤ " : "", times);
        }
        fprintf(f, " |\n");
    }
    fprintf(f, "\n");
}

static void geometry_table(FILE *f, const view *v, const char *where, size_t anchors)
{
    static const char *const kinds[] = {"cosine", "euclidean", "accuracy", "hamming"};
    static const char *const words[] = {", cosine", ", Euclidean", "difference of accuracies",
                                        "share of evaluations that differ"};
    static const value_id values[] = {V_pearson, V_spearman, V_kendall, V_partial};
    static const size_t neighbours[] = {1, 2, 3, 5, 10};
    fprintf(f,
            "%s, %u evaluations per model:\n\n| distance | Pearson | Spearman | Kendall | partial | k = 1 | 2 | 3 | 5 "
            "| 10 |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
            pool_title(where), (unsigned)anchors);
    for (size_t m = 0; m <= v->method_count; m++) {
        const char *method = m < v->method_count ? v->methods[m] : "rivals";
        for (size_t k = 0; k < 4; k++) {
            query q = {where, "geometry", method, anchors, kinds[k], 0, 1, V_COUNT};
            summary s = summarise(v->all, &q, V_pearson);
            if (s.count == 0) continue;
            fprintf(f, "| %s%s", k < 2 ? method : "", words[k]);
            for (size_t i = 0; i < 4; i++) {
                s = summarise(v->all, &q, values[i]);
                cell(f, &s, 1.0, 3, 0);
            }
            q.experiment = "neighbour";
            for (size_t i = 0; i < 5; i++) {
                q.n = neighbours[i];
                s = summarise(v->all, &q, V_agreement);
                cell(f, &s, 100.0, 1, 0);
            }
            fprintf(f, " |\n");
        }
    }
    fprintf(f, "\n");
}

static void drift_table(FILE *f, const view *v, const char *where)
{
    static const char *const folds[] = {"to all", "overlap 1/2", "overlap 0"};
    fprintf(
        f,
        "%s:\n\n| method | evaluations | to the embedding from all %u | two sets, half in common | two sets, none in "
        "common | nearest other model | median other model | identified |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        pool_title(where), (unsigned)DRIFT_N);
    for (size_t m = 0; m < v->method_count; m++) {
        for (size_t size = 0; size + 1 < ONBOARD_SIZES; size++) {
            query q = {where, "drift", v->methods[m], DRIFT_N, folds[0], onboard_sizes[size], 1, V_COUNT};
            summary s = summarise(v->all, &q, V_drift);
            if (s.count == 0) continue;
            fprintf(f, "| %s | %u", v->methods[m], (unsigned)q.n);
            for (size_t k = 0; k < 3; k++) {
                q.fold = folds[k];
                s = summarise(v->all, &q, V_drift);
                cell(f, &s, 1.0, 4, 0);
            }
            q.fold = folds[0];
            s = summarise(v->all, &q, V_nearest);
            cell(f, &s, 1.0, 4, 0);
            s = summarise(v->all, &q, V_median);
            cell(f, &s, 1.0, 4, 0);
            s = summarise(v->all, &q, V_identified);
            cell(f, &s, 100.0, 0, 0);
            fprintf(f, " %% |\n");
        }
    }
    fprintf(f, "\n");
}

static void time_table(FILE *f, const view *v)
{
    static summary grid[16][MAX_METHODS];
    double total = 0.0;
    for (size_t c = 0; c < v->size_count; c++)
        for (size_t m = 0; m < v->method_count; m++)
            grid[c][m] = pool_figure(v->all, "open26", v->methods[m], v->sizes[c], V_seconds);
    for (size_t i = 0; i < v->all->count; i++) {
        const result *r = &v->all->list[i];
        const int last = !strcmp(r->experiment, "pool") || r->n == ONBOARD_N;
        if (!isnan(r->v[V_seconds]) && last) total += r->v[V_seconds];
    }
    fprintf(f, "Seconds to fit and predict, one thread, open 26, by evaluations per model (a shared machine: to the "
               "order of magnitude):\n\n");
    head(f, "method", v->sizes, v->size_count, NULL);
    print_grid(f, v, grid, v->size_count, 1.0, 1, 1);
    fprintf(f, "All jobs together: %.0f minutes of one processor.\n\n", total / 60.0);
}

// ------------------------------------------------------------------------------------------------------ >>targets

typedef struct tally {
    FILE *f;
    size_t met, all;
} tally;

static void target(tally *t, int met, const char *what, const char *format, ...)
{
    va_list list;
    fprintf(t->f, "| %s | ", what);
    va_start(list, format);
    vfprintf(t->f, format, list);
    va_end(list);
    fprintf(t->f, " | %s |\n", met ? "met" : "**not met**");
    t->all++;
    t->met += met != 0;
}

static double spread(const summary *a, const summary *b) // the greater standard deviation
{
    const double x = isnan(a->sd) ? 0.0 : a->sd, y = isnan(b->sd) ? 0.0 : b->sd;
    return x > y ? x : y;
}

// LOCUS less the other method, seed by seed: both learned from the same queries.
static summary paired(const results *all, const char *where, const char *other, size_t anchors, value_id value)
{
    summary d = {0.0, 0.0, 0};
    double square = 0.0;
    for (size_t i = 0; i < all->count; i++) {
        const result *a = &all->list[i];
        if (strcmp(a->pool, where) || strcmp(a->experiment, "pool") || strcmp(a->method, "LOCUS") ||
            a->anchors != anchors || isnan(a->v[value]))
            continue;
        for (size_t k = 0; k < all->count; k++) {
            const result *b = &all->list[k];
            if (strcmp(b->pool, where) || strcmp(b->experiment, "pool") || strcmp(b->method, other) ||
                b->anchors != anchors || b->seed != a->seed || isnan(b->v[value]))
                continue;
            d.mean += a->v[value] - b->v[value];
            square += (a->v[value] - b->v[value]) * (a->v[value] - b->v[value]);
            d.count++;
        }
    }
    d.mean /= (double)d.count;
    d.sd = d.count > 1 ? sqrt((square - (double)d.count * d.mean * d.mean) / (double)(d.count - 1)) : NAN;
    return d;
}

static void above_all(tally *t, const view *v, value_id value, const char *name)
{
    for (size_t c = 0; c < v->size_count; c++) {
        const summary s = pool_figure(v->all, "open26", "LOCUS", v->sizes[c], value);
        summary best = {0.0, 0.0, 0};
        const char *other = baseline_best(v, "open26", v->sizes[c], value, &best);
        char what[96];
        if (s.count == 0 || !other) continue;
        snprintf(what, sizeof what, "open 26, %u evaluations: %s above every baseline by more than the seeds' spread",
                 (unsigned)v->sizes[c], name);
        const summary d = paired(v->all, "open26", other, v->sizes[c], value);
        target(t, s.mean - best.mean > spread(&s, &best), what,
               "%.2f ± %.2f; best baseline %s %.2f ± %.2f; seed by seed %+.2f ± %.2f", 100.0 * s.mean, 100.0 * s.sd,
               other, 100.0 * best.mean, 100.0 * best.sd, 100.0 * d.mean, 100.0 * d.sd);
    }
}

// The authors' code on the same rows (../shared/checkpoints/*/expected.json): the better of its two checkpoints.
static const struct {
    value_id value;
    const char *name;
    double wanted;
    int low;
} expected[] = {{V_hit1, "routing accuracy", 0.8554817275747508, 0},
                {V_hit3, "hit@3", 0.917358803986711, 0},
                {V_prediction, "prediction accuracy", 0.6768742331676343, 0},
                {V_bce, "cross-entropy", 0.6020431560698982, 1},
                {V_brier, "Brier score", 0.20730168620117995, 1}};

static void expected_targets(tally *t, const view *v)
{
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const summary s = pool_figure(v->all, "all33", "LOCUS", 256, expected[i].value);
        const double k = expected[i].low ? 1.0 : 100.0;
        const int digits = expected[i].low ? 4 : 2;
        char what[96];
        if (s.count == 0) continue;
        snprintf(what, sizeof what, "all 33, 256 evaluations: %s of the authors' code", expected[i].name);
        target(t, expected[i].low ? s.mean <= expected[i].wanted : s.mean >= expected[i].wanted, what,
               "%.*f ± %.*f; theirs %.*f", digits, k * s.mean, digits, k * s.sd, digits, k * expected[i].wanted);
    }
    for (size_t c = 0; c < v->size_count; c++) {
        const summary s = pool_figure(v->all, "all33", "LOCUS", v->sizes[c], V_hit1);
        const summary leader = pool_figure(v->all, "all33", "best single model", v->sizes[v->size_count - 1], V_hit1);
        char what[96];
        if (s.count == 0 || leader.count == 0) continue;
        snprintf(what, sizeof what, "all 33, %u evaluations: routing not below always taking the leader",
                 (unsigned)v->sizes[c]);
        target(t, s.mean >= leader.mean, what, "%.2f ± %.2f; leader %.2f", 100.0 * s.mean, 100.0 * s.sd,
               100.0 * leader.mean);
    }
}

static void efficiency_targets(tally *t, const view *v)
{
    static const char *const names[] = {"EmbedLLM", "EmbedLLM tuned"};
    for (size_t i = 0; i < 2; i++) {
        char list[256] = "", what[96];
        size_t used = 0;
        int met = 0, some = 0;
        for (size_t c = 0; c < v->size_count; c++) {
            const summary s = pool_figure(v->all, "open26", "LOCUS", v->sizes[c], V_hit1);
            char sign = '=';
            double times;
            // beyond a fifth of the greatest size, the curve is too short to show 4.8 times
            if (s.count == 0 || (double)v->sizes[c] * 4.8 > (double)v->sizes[v->size_count - 1]) continue;
            times = needed(v, "open26", names[i], V_hit1, s.mean, &sign) / (double)v->sizes[c];
            used += (size_t)snprintf(list + used, sizeof list - used, "%sat %u: %s%.1f×", used ? ", " : "",
                                     (unsigned)v->sizes[c],
                                     sign == '>'   ? "> "
                                     : sign == '<' ? "≤ "
                                                   : "",
                                     times);
            met = some ? met && times >= 4.8 && sign != '<' : times >= 4.8 && sign != '<';
            some = 1;
        }
        if (!some) continue;
        snprintf(what, sizeof what, "open 26: at least 4.8 times fewer evaluations than %s for the same routing",
                 names[i]);
        target(t, met, what, "%s", list);
    }
}

static void new_targets(tally *t, const view *v)
{
    static const job_kind kinds[] = {JOB_FOLD, JOB_FAMILY};
    static const char *const kind_words[] = {"new models", "new families"};
    static const value_id values[] = {V_prediction, V_hit1};
    static const char *const value_words[] = {"prediction", "routing"};
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < 2; i++) {
            const summary few = new_figure(v->all, "open26", kinds[k], "LOCUS", 128, values[i]);
            const summary full = new_figure(v->all, "open26", kinds[k], "LOCUS", ONBOARD_N, values[i]);
            char what[96], list[512] = "";
            size_t used = 0;
            int better = 1;
            if (few.count == 0 || full.count == 0) continue;
            snprintf(what, sizeof what, "open 26, %s: %s from 128 evaluations within 1 point of full", kind_words[k],
                     value_words[i]);
            target(t, few.mean >= full.mean - 0.01, what, "%.2f; full (%u) %.2f", 100.0 * few.mean, (unsigned)ONBOARD_N,
                   100.0 * full.mean);
            for (size_t c = 0; c + 1 < ONBOARD_SIZES; c++) {
                const summary s = new_figure(v->all, "open26", kinds[k], "LOCUS", onboard_sizes[c], values[i]);
                const summary o =
                    new_figure(v->all, "open26", kinds[k], "shrunk clusters", onboard_sizes[c], values[i]);
                better &= s.mean > o.mean;
                used += (size_t)snprintf(list + used, sizeof list - used, "%s%u: %+.2f", used ? ", " : "",
                                         (unsigned)onboard_sizes[c], 100.0 * (s.mean - o.mean));
            }
            snprintf(what, sizeof what, "open 26, %s: %s better than shrunk clusters at every size", kind_words[k],
                     value_words[i]);
            target(t, better, what, "difference in points at %s", list);
        }
    }
}

static void print_targets(FILE *f, const view *v)
{
    tally t = {NULL, 0, 0};
    t.f = f;
    fprintf(f, "## Targets\n\n");
    if (!v->has_locus) {
        fprintf(f, "No results of LOCUS in the CSV yet.\n\n");
        return;
    }
    fprintf(f, "| target | measured | |\n| --- | --- | --- |\n");
    above_all(&t, v, V_hit1, "routing");
    above_all(&t, v, V_prediction, "prediction");
    expected_targets(&t, v);
    efficiency_targets(&t, v);
    new_targets(&t, v);
    fprintf(f, "\n%u of %u met.\n\n", (unsigned)t.met, (unsigned)t.all);
}

// ----------------------------------------------------------------------------------------------------- >>pictures

enum { PLOT_W = 330, PLOT_H = 300, PLOT_LEFT = 58, PLOT_TOP = 52, PANEL_W = 530, PICTURE_H = 410 };

typedef struct curve {
    const char *name;
    double x[16], y[16], sd[16];
    size_t count;
} curve;

typedef struct panel {
    const char *title, *x_title, *y_title;
    curve curves[MAX_METHODS];
    size_t count;
    int log_x;
    double x0, x1, y0, y1;
    double *px, *py; // dots instead of curves
    size_t dots;
    unsigned dot_colour;
} panel;

// Ground, rules, text, then one colour for each kind of method.
static void picture_colours(FILE *f, int dark)
{
    static const char *const colours[2][10] = {
        {"#ffffff", "#e3e6ea", "#1c2128", "#616a75", "#c4320a", "#0969da", "#1a7f5a", "#8250df", "#9a6700", "#bf3989"},
        {"#0f1318", "#2a313a", "#e6edf3", "#98a2ad", "#ff8a5c", "#6cb6ff", "#57cfa0", "#bc8cff", "#d9a93f", "#f778ba"}};
    const char *const *c = colours[dark];
    fprintf(f, ".back { fill: %s } .rule { stroke: %s } text { fill: %s } .soft, .f6 { fill: %s } .s6 { stroke: %s }\n",
            c[0], c[1], c[2], c[3], c[3]);
    for (unsigned i = 0; i < 6; i++) fprintf(f, ".s%u { stroke: %s } .f%u { fill: %s }\n", i, c[4 + i], i, c[4 + i]);
}

// Colour of a method's curve; the plain form of a method is dashed, in the colour of its better one.
static unsigned colour_of(const char *name, int *dashed)
{
    static const struct {
        const char *name;
        unsigned colour;
        int dashed;
    } known[] = {{"LOCUS", 0, 0},
                 {"kNN", 1, 0},
                 {"shrunk clusters", 2, 0},
                 {"clusters", 2, 1},
                 {"logistic regression", 3, 0},
                 {"EmbedLLM tuned", 4, 0},
                 {"EmbedLLM", 4, 1},
                 {"IRT-Net", 5, 0},
                 {"best single model", 6, 1}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        *dashed = known[i].dashed;
        if (strcmp(known[i].name, name) == 0) return known[i].colour;
    }
    *dashed = 1;
    return is_locus(name) ? 0 : 6;
}

static FILE *picture_open(const settings *s, const char *name, size_t panels, size_t panel_width, const char *title)
{
    char path[600];
    FILE *f;
    snprintf(path, sizeof path, "%.500s/%s", s->folder, name);
    f = fopen(path, "w");
    if (!f) die(path, strerror(errno));
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\" role=\"img\" "
            "font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<title>%s</title>\n<style>\n"
            ".line { fill: none; stroke-width: 1.6 } .dashed { stroke-dasharray: 5 4 } .bold { stroke-width: 3.2 }\n"
            ".bar { stroke-width: 1.2; opacity: .6 } .dot { opacity: .45 } .rule { stroke-width: 1 }\n",
            (unsigned)(panels * panel_width), (unsigned)PICTURE_H, title);
    picture_colours(f, 0);
    fprintf(f, "@media (prefers-color-scheme: dark) {\n");
    picture_colours(f, 1);
    fprintf(f,
            "}\n</style>\n<clipPath id=\"plot\"><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/></clipPath>\n"
            "<rect class=\"back\" width=\"%u\" height=\"%u\"/>\n",
            PLOT_LEFT - 4, PLOT_TOP - 2, PLOT_W + 8, PLOT_H + 4, (unsigned)(panels * panel_width), (unsigned)PICTURE_H);
    return f;
}

static double nice_step(double range) // 1, 2 or 5 times a power of ten: about five ticks
{
    const double raw = range / 5.0, power = pow(10.0, floor(log10(raw))), m = raw / power;
    return power * (m < 1.5 ? 1.0 : m < 3.5 ? 2.0 : m < 7.5 ? 5.0 : 10.0);
}

static double place_x(const panel *p, double x)
{
    const double t = p->log_x ? (log(x) - log(p->x0)) / (log(p->x1) - log(p->x0)) : (x - p->x0) / (p->x1 - p->x0);
    return PLOT_LEFT + t * PLOT_W;
}
static double place_y(const panel *p, double y) { return PLOT_TOP + (1.0 - (y - p->y0) / (p->y1 - p->y0)) * PLOT_H; }

static void axes(FILE *f, const panel *p)
{
    const double step = nice_step(p->y1 - p->y0);
    fprintf(f, "<text x=\"%d\" y=\"24\" font-size=\"15\" font-weight=\"600\">%s</text>\n", PLOT_LEFT, p->title);
    fprintf(f, "<text class=\"soft\" x=\"%d\" y=\"42\">%s</text>\n", PLOT_LEFT, p->y_title);
    for (double y = ceil(p->y0 / step) * step; y <= p->y1 + 1e-9; y += step) {
        fprintf(f, "<line class=\"rule\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", PLOT_LEFT, PLOT_LEFT + PLOT_W,
                place_y(p, y), place_y(p, y));
        fprintf(f, "<text class=\"soft\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", PLOT_LEFT - 8,
                place_y(p, y) + 4.0, fabs(y) < 1e-9 ? 0.0 : y);
    }
    if (p->log_x) {
        for (double x = p->x0; x <= p->x1 * 1.001; x *= 2.0) {
            if (p->x1 / p->x0 > 40.0 && fmod(round(log2(x / p->x0)), 2.0) > 0.5) continue; // every second, if many
            fprintf(f, "<text class=\"soft\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n", place_x(p, x),
                    PLOT_TOP + PLOT_H + 18, x);
        }
    } else {
        const double s = nice_step(p->x1 - p->x0);
        for (double x = ceil(p->x0 / s) * s; x <= p->x1 + 1e-9; x += s)
            fprintf(f, "<text class=\"soft\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n", place_x(p, x),
                    PLOT_TOP + PLOT_H + 18, x);
    }
    fprintf(f, "<text class=\"soft\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", PLOT_LEFT + 0.5 * PLOT_W,
            PLOT_TOP + PLOT_H + 38, p->x_title);
}

static void draw_panel(FILE *f, const panel *p, size_t at, size_t width)
{
    double label[MAX_METHODS];
    size_t order[MAX_METHODS];
    fprintf(f, "<g transform=\"translate(%u 0)\">\n", (unsigned)(at * width));
    axes(f, p);
    for (size_t i = 0; i < p->dots; i++)
        fprintf(f, "<circle class=\"dot f%u\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.4\"/>\n", p->dot_colour,
                place_x(p, p->px[i]), place_y(p, p->py[i]));
    for (size_t i = p->count; i-- > 0;) { // LOCUS, the first, on top
        const curve *c = &p->curves[i];
        int dashed;
        const unsigned colour = colour_of(c->name, &dashed);
        fprintf(f, "<g clip-path=\"url(#plot)\"><polyline class=\"line s%u%s%s\" points=\"", colour,
                dashed ? " dashed" : "", strcmp(c->name, "LOCUS") ? "" : " bold");
        for (size_t k = 0; k < c->count; k++) fprintf(f, "%.1f,%.1f ", place_x(p, c->x[k]), place_y(p, c->y[k]));
        fprintf(f, "\"/>");
        for (size_t k = 0; k < c->count; k++)
            if (!isnan(c->sd[k]) && !strcmp(c->name, "LOCUS")) // all of them would hide the curves
                fprintf(f, "<line class=\"bar s%u\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", colour,
                        place_x(p, c->x[k]), place_x(p, c->x[k]), place_y(p, c->y[k] - c->sd[k]),
                        place_y(p, c->y[k] + c->sd[k]));
        fprintf(f, "</g>\n");
        order[i] = i;
        label[i] = place_y(p, c->y[c->count - 1]) + 4.0;
    }
    // Names at the ends of the curves, from the top down, pushed apart to 14 units.
    for (size_t i = 1; i < p->count; i++)
        for (size_t k = i; k > 0 && label[order[k]] < label[order[k - 1]]; k--) {
            const size_t t = order[k];
            order[k] = order[k - 1];
            order[k - 1] = t;
        }
    for (int round = 0; round < 200; round++) {
        for (size_t i = 1; i < p->count; i++) {
            const double gap = label[order[i]] - label[order[i - 1]];
            if (gap >= 14.0) continue;
            label[order[i - 1]] -= 0.5 * (14.0 - gap);
            label[order[i]] += 0.5 * (14.0 - gap);
        }
    }
    for (size_t i = 0; i < p->count; i++) {
        const curve *c = &p->curves[i];
        int dashed;
        fprintf(f, "<text class=\"f%u\" x=\"%d\" y=\"%.1f\"%s>%s</text>\n", colour_of(c->name, &dashed),
                PLOT_LEFT + PLOT_W + 10, label[i], strcmp(c->name, "LOCUS") ? "" : " font-weight=\"700\"", c->name);
    }
    fprintf(f, "</g>\n");
}

static void fit_axes(panel *p)
{
    double low = 1e30, high = -1e30, all[MAX_METHODS * 16];
    size_t count = 0;
    p->x0 = 1e30;
    p->x1 = -1e30;
    for (size_t i = 0; i < p->count; i++) {
        for (size_t k = 0; k < p->curves[i].count; k++) {
            const double x = p->curves[i].x[k], y = p->curves[i].y[k];
            if (x < p->x0) p->x0 = x;
            if (x > p->x1) p->x1 = x;
            all[count++] = y;
            if (y > high) high = y;
        }
    }
    qsort(all, count, sizeof *all, compare_doubles);
    if (count) low = all[count / 20]; // a few points far below would flatten all others: they fall out of the plot
    for (size_t i = 0; i < p->dots; i++) {
        if (p->px[i] < p->x0) p->x0 = p->px[i];
        if (p->px[i] > p->x1) p->x1 = p->px[i];
        if (p->py[i] < low) low = p->py[i];
        if (p->py[i] > high) high = p->py[i];
    }
    if (p->dots) p->x0 = 0.0;
    if (!(high > low)) high = low + 1.0;
    p->y0 = low - 0.04 * (high - low);
    p->y1 = high + 0.04 * (high - low);
    if (!(p->x1 > p->x0)) p->x1 = p->x0 + 1.0;
}

typedef enum figure_kind { FIGURE_POOL, FIGURE_NEW } figure_kind;

// Two panels, one for each pool: a figure by number of evaluations.
static void curves_picture(const settings *s, const view *v, const char *file, const char *title, figure_kind kind,
                           value_id value)
{
    static panel p;
    FILE *f = picture_open(s, file, 2, PANEL_W, title);
    for (size_t k = 0; k < 2; k++) {
        char text[96];
        memset(&p, 0, sizeof p);
        snprintf(text, sizeof text, "%s: %s", title, pool_title(v->pools[k].name));
        p.title = text;
        p.y_title = "%";
        p.x_title = kind == FIGURE_POOL ? "evaluations per model" : "evaluations of the new model";
        p.log_x = 1;
        for (size_t m = 0; m < v->method_count; m++) {
            curve *c = &p.curves[p.count];
            const size_t sizes = kind == FIGURE_POOL ? v->size_count : ONBOARD_SIZES;
            if (strcmp(v->methods[m], "random") == 0) continue; // far below
            c->name = v->methods[m];
            for (size_t i = 0; i < sizes; i++) {
                const size_t n = kind == FIGURE_POOL ? v->sizes[i] : onboard_sizes[i];
                const summary a = kind == FIGURE_POOL
                                      ? pool_figure(v->all, v->pools[k].name, c->name, n, value)
                                      : new_figure(v->all, v->pools[k].name, JOB_FOLD, c->name, n, value);
                if (a.count == 0) continue;
                c->x[c->count] = (double)n;
                c->y[c->count] = 100.0 * a.mean;
                c->sd[c->count++] = 100.0 * a.sd;
            }
            if (c->count) p.count++;
        }
        if (p.count == 0) continue;
        fit_axes(&p);
        draw_panel(f, &p, k, PANEL_W);
    }
    fprintf(f, "</svg>\n");
    fclose(f);
}

// Distance of each pair of models against the share of test queries on which they differ.
static void pairs_picture(const settings *s, const view *v)
{
    static const char *const methods[] = {"LOCUS", "EmbedLLM tuned", "rivals"};
    static const char *const titles[] = {"LOCUS", "EmbedLLM tuned", "Difference of accuracies"};
    static const char *const x_titles[] = {"cosine distance of embeddings", "cosine distance of embeddings",
                                           "difference of accuracies, same evaluations"};
    enum { WIDTH = 430 };
    static panel p;
    static double x[2048], y[2048];
    FILE *f;
    size_t at = 0, first = v->has_locus ? 0 : 1;
    f = picture_open(s, "geometry.svg", 3 - first, WIDTH, "Distance against disagreement, all 33 models");
    for (size_t k = first; k < 3; k++) {
        memset(&p, 0, sizeof p);
        p.title = titles[k];
        p.x_title = x_titles[k];
        p.y_title = "test queries on which two models differ, %";
        p.px = x;
        p.py = y;
        p.dot_colour = k == 0 ? 0 : k == 1 ? 4 : 6;
        for (size_t i = 0; i < v->all->count && p.dots < 2048; i++) {
            const result *r = &v->all->list[i];
            if (strcmp(r->experiment, "pair") != 0 || strcmp(r->method, methods[k]) != 0) continue;
            x[p.dots] = r->v[V_distance];
            y[p.dots++] = 100.0 * (1.0 - r->v[V_agreement]);
        }
        if (p.dots == 0) continue;
        fit_axes(&p);
        draw_panel(f, &p, at++, WIDTH);
    }
    fprintf(f, "</svg>\n");
    fclose(f);
}

// ------------------------------------------------------------------------------------------------------- >>report

static void reference_rows(FILE *f, const view *v)
{
    for (size_t k = 0; k < 2; k++) {
        const char *name = v->pools[k].name;
        const size_t largest = v->sizes[v->size_count - 1];
        const summary oracle = pool_figure(v->all, name, "best single model", largest, V_oracle);
        const summary single = pool_figure(v->all, name, "best single model", largest, V_hit1);
        const summary random = pool_figure(v->all, name, "random", largest, V_hit1);
        if (oracle.count == 0) continue;
        fprintf(f, "- %s (%u models): best single model %.2f %%, a model drawn at random %.2f %%, oracle %.2f %%.\n",
                pool_title(name), (unsigned)v->pools[k].count, 100.0 * single.mean, 100.0 * random.mean,
                100.0 * oracle.mean);
    }
    fprintf(f, "\n");
}

static int report(const dataset *d, const pool *pools, const results *all, const settings *s)
{
    static view v;
    char path[600];
    FILE *f;
    view_make(&v, all, pools);
    if (v.size_count == 0) {
        fprintf(stderr, "no results yet in %s\n", all->path);
        return 1;
    }
    snprintf(path, sizeof path, "%.500s/RESULTS.md", s->folder);
    f = fopen(path, "w");
    if (!f) die(path, strerror(errno));
    fprintf(f,
            "# The claims, reproduced\n\n"
            "Made by `make reproduce` (bench/reproduce.c) from %u models x %u questions of MMLU-Pro, %u / %u / %u for "
            "training, validation and test.\nEach method learns from the scores of N training queries, the same for "
            "all models; figures are of the test split,\nmean ± standard deviation over seeds (seeds draw the queries "
            "and the initial weights). A missing score is a miss in routing\nand is left out of the other figures. "
            "Validation scores choose hyper-parameters and checkpoints, of the baselines too. **Bold**: the best of a "
            "column.\n\n",
            (unsigned)d->models, (unsigned)d->queries, (unsigned)d->part[0].count, (unsigned)d->part[1].count,
            (unsigned)d->part[2].count);
    reference_rows(f, &v);
    print_targets(f, &v);
    fprintf(f, "## Routing\n\n![Routing accuracy by evaluations per model](routing.svg)\n\n");
    for (size_t k = 0; k < 2; k++) pool_table(f, &v, pools[k].name, "Routing accuracy hit@1, %", V_hit1, 100.0, 2, 0);
    fprintf(f, "## Prediction\n\n![Prediction accuracy by evaluations per model](prediction.svg)\n\n");
    for (size_t k = 0; k < 2; k++) {
        pool_table(f, &v, pools[k].name, "Prediction accuracy, %", V_prediction, 100.0, 2, 0);
        pool_table(f, &v, pools[k].name, "Brier score", V_brier, 1.0, 4, 1);
        pool_table(f, &v, pools[k].name, "Expected calibration error, 15 bins, %", V_ece, 100.0, 2, 1);
    }
    if (v.has_locus) {
        fprintf(f, "## Sample efficiency\n\nHow many times as many evaluations a method needs for LOCUS's figure, by "
                   "linear interpolation between its sizes in log N.\n`>`: not reached with its largest number; `≤`: "
                   "its smallest number is enough.\n\n");
        for (size_t k = 0; k < 2; k++) {
            efficiency_table(f, &v, pools[k].name, "Routing", V_hit1);
            efficiency_table(f, &v, pools[k].name, "Prediction", V_prediction);
        }
    }
    fprintf(f,
            "## New models\n\n![Prediction for new models by their evaluations](onboarding.svg)\n\nEach model is held "
            "out once (four folds); everything is fitted on the other models from %u evaluations each, then the "
            "held-out\nones are added from n evaluations, all else frozen. EmbedLLM and IRT-Net: the new vector is the "
            "most probable one under a normal prior with\nthe pool's mean and covariance. Prediction figures: the new "
            "models' answers. Routing: the whole pool, old and new.\n\n",
            (unsigned)ONBOARD_N);
    for (size_t k = 0; k < 2; k++) {
        new_table(f, &v, pools[k].name, JOB_FOLD, "Prediction accuracy for new models, %", V_prediction, 100.0, 2, 0);
        new_table(f, &v, pools[k].name, JOB_FOLD, "Brier score for new models", V_brier, 1.0, 4, 1);
        new_table(f, &v, pools[k].name, JOB_FOLD, "Routing accuracy with the new models in the pool, %", V_hit1, 100.0,
                  2, 0);
    }
    fprintf(f, "### Whole families held out\n\nLlama; Mistral with Mixtral and mathstral; Qwen; Yi; and as the fifth "
               "all models of makers with one or two in the pool, together.\n\n");
    for (size_t k = 0; k < 2; k++) {
        new_table(f, &v, pools[k].name, JOB_FAMILY, "Prediction accuracy for new families, %", V_prediction, 100.0, 2,
                  0);
        new_table(f, &v, pools[k].name, JOB_FAMILY, "Brier score for new families", V_brier, 1.0, 4, 1);
        new_table(f, &v, pools[k].name, JOB_FAMILY, "Routing accuracy with the new family in the pool, %", V_hit1,
                  100.0, 2, 0);
        family_table(f, &v, pools[k].name);
    }
    fprintf(f, "## Geometry\n\n![Distance against disagreement](geometry.svg)\n\nCorrelation of the distance of two "
               "models with the share of common test queries on which they differ; partial: Pearson given the\n"
               "difference of their test accuracies. k = 1 to 10: agreement with the k-th nearest model, %%.\n\n");
    for (size_t k = 0; k < 2; k++)
        for (size_t c = 0; c < v.size_count; c++) geometry_table(f, &v, pools[k].name, v.sizes[c]);
    fprintf(f,
            "### How fast an embedding settles\n\nCosine distance, median over the models, each embedded as a new one "
            "from n of its %u evaluations. Identified: share of models whose\nembedding from n is nearest to their own "
            "from all, not another's (which contains these n: large n are flattered).\n\n",
            (unsigned)DRIFT_N);
    for (size_t k = 0; k < 2; k++) drift_table(f, &v, pools[k].name);
    fprintf(f, "## Time\n\n");
    time_table(f, &v);
    fclose(f);
    curves_picture(s, &v, "routing.svg", "Routing accuracy", FIGURE_POOL, V_hit1);
    curves_picture(s, &v, "prediction.svg", "Prediction accuracy", FIGURE_POOL, V_prediction);
    curves_picture(s, &v, "onboarding.svg", "Prediction for new models", FIGURE_NEW, V_prediction);
    pairs_picture(s, &v);
    printf("%s and its pictures written from %u results\n", path, (unsigned)all->count);
    return 0;
}

#endif
