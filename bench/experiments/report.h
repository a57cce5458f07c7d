// SPDX-License-Identifier: MIT
// The report of bench/experiments/reproduce.c (included there): RESULTS.md and its pictures, from what is in the work
// folder alone.
//     >>cells  >>summary  >>targets  >>tables  >>pictures  >>report
#ifndef REPORT_H
#define REPORT_H

// -------------------------------------------------------------------------------------------------------- >>cells

enum { SEEDS_MOST = 16, MAX_METHODS = 32 };

typedef enum figure_id { F_BRIER, F_PREDICTION, F_RIGHT, F_SCORE, F_BCE, F_COUNT } figure_id;

static const struct {
    const char *name, *unit;
    size_t top, below; // a sum over queries over another
    int low;           // low is good
    double scale;
    int digits;
} figure_kinds[F_COUNT] = {
    {"Brier score", "", Q_BRIER, Q_PAIRS, 1, 1.0, 4},
    {"Prediction", ", %", Q_CORRECT, Q_PAIRS, 0, 100.0, 2},
    {"Routing: right", ", %", Q_RIGHT, Q_ROUTED, 0, 100.0, 2},
    {"Routing: mean score", ", %", Q_SCORE, Q_ROUTED, 0, 100.0, 2},
    {"Cross-entropy", "", Q_BCE, Q_PAIRS, 1, 1.0, 4},
};

typedef struct cell { // a method's sums per query, folds added up
    result key;       // seed and fold 0
    size_t n;
    double *rows[SEEDS_MOST]; // [Q_ROWS, n]; NULL: not computed
    struct cell *next;
} cell;

typedef struct view {
    const results *all;
    const char *folder;
    cell *cells;
    struct {
        const evaluation_set *set;
        size_t sizes[16], size_count, new_n; // new_n: evaluations behind the new models' results; 0: there are none
        size_t models, queries;
        int graded;
    } sets[MAX_SETS];
    size_t set_count;
    const char *methods[MAX_METHODS];
    size_t method_count;
} view;

static int is_locus(const char *method) { return strncmp(method, "LOCUS", 5) == 0; }

// Adds the file of one result to out[Q_ROWS, n]; n 0: not known yet.
static int add_rows(const view *v, const result *key, double **out, size_t *n)
{
    char path[600];
    locus_array a;
    locus_error err;
    result_path(v->folder, key, "rows", path);
    if (locus_npy_open(&a, path, &err)) return 1;
    if (a.rank != 2 || a.shape[0] != Q_ROWS || a.dtype != LOCUS_F32 || (*n && a.shape[1] != *n))
        die(path, "is not of these results: delete it and its line");
    *n = a.shape[1];
    if (!*out) *out = (double *)base_alloc(a.count, sizeof **out);
    for (size_t i = 0; i < a.count; i++) (*out)[i] += (double)((const float *)a.data)[i];
    locus_array_close(&a);
    return 0;
}

// n: evaluations of the new models, or 0: the pool's own.
static const cell *cell_of(view *v, const char *set, const char *method, size_t anchors, size_t n)
{
    const result key = result_make(set, kind_names[n ? JOB_NEW : JOB_POOL], method, anchors, 0, 0, n);
    cell *c;
    for (c = v->cells; c; c = c->next)
        if (c->key.anchors == anchors && c->key.n == n && !strcmp(c->key.set, set) && !strcmp(c->key.method, method))
            return c;
    c = (cell *)base_alloc(1, sizeof *c);
    c->key = key;
    c->next = v->cells;
    v->cells = c;
    for (size_t seed = 0; seed < SEEDS_MOST; seed++) {
        int missing = 0;
        for (size_t fold = 0; fold < (n ? (size_t)FOLDS : 1) && !missing; fold++) {
            result r = key;
            r.seed = seed;
            r.fold = fold;
            missing = !results_find(v->all, &r) || add_rows(v, &r, &c->rows[seed], &c->n);
        }
        if (!missing) continue;
        free(c->rows[seed]);
        c->rows[seed] = NULL;
    }
    return c;
}

typedef struct summary {
    double mean, sd; // over seeds; sd NaN for one
    size_t count;
} summary;

static summary summarise(const double *values, size_t count)
{
    summary s = {(double)NAN, (double)NAN, count};
    double square = 0.0;
    if (count == 0) return s;
    s.mean = 0.0;
    for (size_t i = 0; i < count; i++) s.mean += values[i] / (double)count;
    for (size_t i = 0; i < count; i++) square += (values[i] - s.mean) * (values[i] - s.mean);
    if (count > 1) s.sd = sqrt(square / (double)(count - 1));
    return s;
}

// with: only over the draws that this one has too; NULL, or one without any: over all.
static summary figure_among(const cell *c, const cell *with, figure_id f)
{
    double values[SEEDS_MOST];
    size_t count = 0;
    int some = 0;
    for (size_t seed = 0; seed < SEEDS_MOST && with; seed++) some |= with->rows[seed] != NULL;
    for (size_t seed = 0; seed < SEEDS_MOST; seed++) {
        double top = 0.0, below = 0.0;
        if (!c->rows[seed] || (some && !with->rows[seed])) continue;
        for (size_t i = 0; i < c->n; i++) {
            top += c->rows[seed][figure_kinds[f].top * c->n + i];
            below += c->rows[seed][figure_kinds[f].below * c->n + i];
        }
        values[count++] = top / below;
    }
    return summarise(values, count);
}

static summary figure_of(const cell *c, figure_id f) { return figure_among(c, NULL, f); }

// Over seeds, of a value that is only in the CSV.
static summary value_of(const view *v, const char *set, const char *method, size_t anchors, value_id value)
{
    double values[SEEDS_MOST];
    size_t count = 0;
    for (size_t seed = 0; seed < SEEDS_MOST; seed++) {
        const result key = result_make(set, "pool", method, anchors, seed, 0, 0), *r = results_find(v->all, &key);
        if (r && !isnan(r->v[value])) values[count++] = r->v[value];
    }
    return summarise(values, count);
}

// a less b, paired by query, averaged over the draws that both have; 95 %. count 0: there are none.
static interval compare(const cell *a, const cell *b, figure_id f, size_t *count)
{
    static unsigned char *weight;
    static size_t weight_n;
    const size_t n = a->n, t = figure_kinds[f].top * n, u = figure_kinds[f].below * n;
    double *top = (double *)base_alloc(2 * n + 1, sizeof *top), *below = top + n;
    interval out = {(double)NAN, (double)NAN, (double)NAN};
    *count = 0;
    for (size_t seed = 0; seed < SEEDS_MOST; seed++) {
        const double *x = a->rows[seed], *y = b->rows[seed];
        if (!x || !y) continue;
        if (b->n != n) die(a->key.set, "results of different test splits");
        ++*count;
        for (size_t i = 0; i < n; i++) {
            top[i] += x[t + i] - y[t + i];
            below[i] += x[u + i];
        }
    }
    if (*count) {
        if (weight_n != n) {
            free(weight);
            weight = boot_weights(n, BOOT);
            weight_n = n;
        }
        out = boot_interval(top, below, n, weight);
    }
    free(top);
    return out;
}

// >0: a is clearly better than b, <0: clearly worse, 0: the interval holds 0
static int verdict(const interval *i, figure_id f)
{
    const int above = i->low > 0.0, under = i->high < 0.0;
    return figure_kinds[f].low ? under - above : above - under;
}

// The baseline of the best figure that is not told the category, over the draws that LOCUS has; NULL: there is none.
static const char *best_baseline(view *v, const char *set, size_t anchors, size_t n, figure_id f)
{
    const cell *ours = cell_of(v, set, "LOCUS", anchors, n);
    const char *name = NULL;
    double best = 0.0;
    for (size_t m = 0; m < v->method_count; m++) {
        summary s;
        if (is_locus(v->methods[m]) || base_is_told(v->methods[m])) continue;
        s = figure_among(cell_of(v, set, v->methods[m], anchors, n), ours, f);
        if (s.count == 0 || (name && (figure_kinds[f].low ? s.mean >= best : s.mean <= best))) continue;
        best = s.mean;
        name = v->methods[m];
    }
    return name;
}

static void view_make(view *v, const results *all, const evaluation_set *sets, size_t count, const char *folder)
{
    memset(v, 0, sizeof *v);
    v->all = all;
    v->folder = folder;
    for (size_t k = 0; k < count; k++) {
        const size_t at = v->set_count;
        v->sets[at].set = &sets[k];
        for (size_t i = 0; i < all->count; i++) {
            const result *r = &all->list[i];
            size_t *sizes = v->sets[at].sizes, n = v->sets[at].size_count, place = 0;
            if (strcmp(r->set, sets[k].name) != 0) continue;
            v->sets[at].models = (size_t)r->v[V_models];
            v->sets[at].queries = (size_t)r->v[V_queries];
            v->sets[at].graded = r->v[V_graded] > 0.0;
            if (strcmp(r->experiment, "new") == 0) {
                v->sets[at].new_n = r->anchors;
                continue;
            }
            while (place < n && sizes[place] < r->anchors) place++;
            if ((place < n && sizes[place] == r->anchors) || n == 16) continue;
            memmove(sizes + place + 1, sizes + place, (n - place) * sizeof *sizes);
            sizes[place] = r->anchors;
            v->sets[at].size_count++;
        }
        v->set_count += v->sets[at].models > 0;
    }
    const base_method *m;
    for (size_t i = 0; (m = method_at(i)) != NULL; i++)
        for (size_t k = 0; k < m->variant_count; k++)
            if (v->method_count < MAX_METHODS) v->methods[v->method_count++] = row_name(m, k);
}

// ------------------------------------------------------------------------------------------------------ >>summary

static const char *const verdict_words[] = {" worse", "", " **better**"};

static void print_interval(FILE *f, const interval *i, figure_id kind)
{
    const double s = figure_kinds[kind].scale;
    const int d = figure_kinds[kind].digits;
    fprintf(f, " | %+.*f [%+.*f, %+.*f]%s", d, s * i->difference, d, s * i->low, d, s * i->high,
            verdict_words[1 + verdict(i, kind)]);
}

// Ours, the best baseline, the difference: one row for each set and number of evaluations (of the pool, or of the new
// models).
static void summary_table(FILE *f, view *v, int new_models, const figure_id *kinds, size_t kind_count, int graded)
{
    fprintf(f, "| set | %s", new_models ? "evaluations of the new model" : "evaluations");
    for (size_t k = 0; k < kind_count; k++)
        fprintf(f, " | %s%s | best baseline | difference", figure_kinds[kinds[k]].name, figure_kinds[kinds[k]].unit);
    fprintf(f, " |\n| --- | ---:");
    for (size_t k = 0; k < kind_count; k++) fprintf(f, " | ---: | --- | ---");
    fprintf(f, " |\n");
    for (size_t k = 0; k < v->set_count; k++) {
        const char *set = v->sets[k].set->name;
        const size_t rows = new_models ? (v->sets[k].new_n ? (size_t)NEW_SIZES : 0) : v->sets[k].size_count;
        if (graded && !v->sets[k].graded) continue;
        for (size_t i = 0; i < rows; i++) {
            const size_t anchors = new_models ? v->sets[k].new_n : v->sets[k].sizes[i];
            const size_t n = new_models ? new_sizes[i] : 0;
            const cell *ours = cell_of(v, set, "LOCUS", anchors, n);
            fprintf(f, "| %s | %u", v->sets[k].set->title, (unsigned)(n ? n : anchors));
            for (size_t q = 0; q < kind_count; q++) {
                const figure_id kind = kinds[q];
                const char *best = best_baseline(v, set, anchors, n, kind);
                const cell *other = best ? cell_of(v, set, best, anchors, n) : NULL;
                const summary s = figure_among(ours, other, kind);
                size_t common = 0;
                if (s.count) fprintf(f, " | %.*f", figure_kinds[kind].digits, figure_kinds[kind].scale * s.mean);
                else fprintf(f, " | ");
                if (best) {
                    const interval d = compare(ours, other, kind, &common);
                    fprintf(f, " | %s %.*f", best, figure_kinds[kind].digits,
                            figure_kinds[kind].scale * figure_among(other, ours, kind).mean);
                    if (common) print_interval(f, &d, kind);
                    else fprintf(f, " | ");
                } else {
                    fprintf(f, " |  | ");
                }
            }
            fprintf(f, " |\n");
        }
    }
    fprintf(f, "\n");
}

typedef struct versus { // LOCUS against one baseline over all cells
    double mean[F_COUNT];
    size_t cells, better[F_COUNT], worse[F_COUNT], behind[F_COUNT]; // clearly better, clearly worse, worse at all
    char first_behind[F_COUNT][96], first_worse[F_COUNT][96];
} versus;

static versus against(view *v, const char *method, int new_models)
{
    versus out;
    memset(&out, 0, sizeof out);
    for (size_t k = 0; k < v->set_count; k++) {
        const size_t rows = new_models ? (v->sets[k].new_n ? (size_t)NEW_SIZES : 0) : v->sets[k].size_count;
        for (size_t i = 0; i < rows; i++) {
            const size_t anchors = new_models ? v->sets[k].new_n : v->sets[k].sizes[i];
            const size_t n = new_models ? new_sizes[i] : 0;
            const cell *ours = cell_of(v, v->sets[k].set->name, "LOCUS", anchors, n);
            const cell *other = cell_of(v, v->sets[k].set->name, method, anchors, n);
            size_t common = 0;
            if (new_models && n > 128) continue; // the sizes
            for (size_t f = 0; f < F_COUNT; f++) {
                const interval d = compare(ours, other, (figure_id)f, &common);
                const int clear = common ? verdict(&d, (figure_id)f) : 0;
                if (common == 0) continue;
                out.mean[f] += d.difference;
                out.better[f] += clear > 0;
                if (clear < 0 && out.worse[f]++ == 0)
                    snprintf(out.first_worse[f], sizeof out.first_worse[f], "%.40s at %u", v->sets[k].set->title,
                             (unsigned)(n ? n : anchors));
                if ((figure_kinds[f].low ? d.difference > 0.0 : d.difference < 0.0) && out.behind[f]++ == 0)
                    snprintf(out.first_behind[f], sizeof out.first_behind[f], "%.40s at %u", v->sets[k].set->title,
                             (unsigned)(n ? n : anchors));
            }
            out.cells += common > 0;
        }
    }
    for (size_t f = 0; f < F_COUNT; f++) out.mean[f] /= out.cells ? (double)out.cells : 1.0;
    return out;
}

static void versus_table(FILE *f, view *v, int new_models)
{
    static const figure_id kinds[] = {F_BRIER, F_PREDICTION, F_RIGHT, F_SCORE};
    fprintf(f,
            "LOCUS less each baseline, mean over the cells%s; in brackets in how many of them the interval says that "
            "LOCUS is better / worse:\n\n| baseline | cells",
            new_models ? " of 16, 32 and 128 evaluations" : "");
    for (size_t k = 0; k < 4; k++) fprintf(f, " | %s%s", figure_kinds[kinds[k]].name, figure_kinds[kinds[k]].unit);
    fprintf(f, " |\n| --- | ---: | ---: | ---: | ---: | ---: |\n");
    for (size_t m = 0; m < v->method_count; m++) {
        const versus d = is_locus(v->methods[m]) ? (versus){{0}, 0, {0}, {0}, {0}, {{0}}, {{0}}}
                                                 : against(v, v->methods[m], new_models);
        if (d.cells == 0) continue;
        fprintf(f, "| %s | %u", v->methods[m], (unsigned)d.cells);
        for (size_t k = 0; k < 4; k++)
            fprintf(f, " | %+.*f (%u / %u)", figure_kinds[kinds[k]].digits,
                    figure_kinds[kinds[k]].scale * d.mean[kinds[k]], (unsigned)d.better[kinds[k]],
                    (unsigned)d.worse[kinds[k]]);
        fprintf(f, " |\n");
    }
    fprintf(f, "\n");
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

static void add_text(char *list, size_t room, const char *format, ...)
{
    const size_t used = strlen(list);
    va_list args;
    if (used + 1 >= room) return;
    va_start(args, format);
    vsnprintf(list + used, room - used, format, args);
    va_end(args);
}

// Brier below every baseline's in every cell; prediction likewise up to the interval; routing nowhere clearly worse and
// better on average.
static void rival_targets(tally *t, view *v, int new_models)
{
    char brier[2048] = "", prediction[2048] = "", routing[2048] = "", average[2048] = "";
    const char *const prefix = new_models ? "new models, 16 to 128 evaluations" : "pools";
    char what[128];
    int met[4] = {1, 1, 1, 1}, some = 0;
    for (size_t m = 0; m < v->method_count; m++) {
        const char *name = v->methods[m];
        versus d;
        if (is_locus(name) || base_is_told(name)) continue;
        d = against(v, name, new_models);
        if (d.cells == 0) continue;
        some = 1;
        if (d.behind[F_BRIER]) {
            met[0] = 0;
            add_text(brier, sizeof brier, "%s%s: behind in %u of %u (first: %s)", *brier ? "; " : "", name,
                     (unsigned)d.behind[F_BRIER], (unsigned)d.cells, d.first_behind[F_BRIER]);
        }
        if (d.worse[F_PREDICTION]) {
            met[1] = 0;
            add_text(prediction, sizeof prediction, "%s%s: better in %u of %u (first: %s)", *prediction ? "; " : "",
                     name, (unsigned)d.worse[F_PREDICTION], (unsigned)d.cells, d.first_worse[F_PREDICTION]);
        }
        if (d.worse[F_RIGHT]) {
            met[2] = 0;
            add_text(routing, sizeof routing, "%s%s: better in %u of %u (first: %s)", *routing ? "; " : "", name,
                     (unsigned)d.worse[F_RIGHT], (unsigned)d.cells, d.first_worse[F_RIGHT]);
        }
        if (d.mean[F_RIGHT] < 0.003) met[3] = 0;
        add_text(average, sizeof average, "%s%s %+.2f", *average ? ", " : "", name, 100.0 * d.mean[F_RIGHT]);
    }
    if (!some) return;
    snprintf(what, sizeof what, "%s: Brier below every baseline's in every cell", prefix);
    target(t, met[0], what, "%s", *brier ? brier : "in all");
    snprintf(what, sizeof what, "%s: no baseline predicts better beyond the paired interval", prefix);
    target(t, met[1], what, "%s", *prediction ? prediction : "none");
    snprintf(what, sizeof what, "%s: no cell where the interval says that a baseline routes better", prefix);
    target(t, met[2], what, "%s", *routing ? routing : "none");
    snprintf(what, sizeof what, "%s: routing 0.3 points above each baseline in the mean over cells", prefix);
    target(t, met[3], what, "%s", average);
}

// Of version 0.3.0, where a missing cell was a miss (few are missing there).
static const struct {
    const char *set;
    size_t anchors;
    double routing;
} before[] = {{"open26", 64, .526}, {"open26", 256, .553}, {"open26", 1024, .560}, {"open26", 4096, .564},
              {"all33", 64, .858},  {"all33", 256, .866},  {"all33", 1024, .869},  {"all33", 4096, .872}};

static void leader_targets(tally *t, view *v)
{
    double least = 1.0;
    char where[128] = "";
    for (size_t k = 0; k < v->set_count; k++) {
        for (size_t i = 0; i < v->sets[k].size_count; i++) {
            size_t common;
            const interval d = compare(cell_of(v, v->sets[k].set->name, "LOCUS", v->sets[k].sizes[i], 0),
                                       cell_of(v, v->sets[k].set->name, "leader (model means)", v->sets[k].sizes[i], 0),
                                       F_RIGHT, &common);
            if (common == 0 || d.difference >= least) continue;
            least = d.difference;
            snprintf(where, sizeof where, "%.40s at %u: %+.2f [%+.2f, %+.2f]", v->sets[k].set->title,
                     (unsigned)v->sets[k].sizes[i], 100.0 * d.difference, 100.0 * d.low, 100.0 * d.high);
        }
    }
    if (*where)
        target(t, least >= -0.003, "on no set, at no size, routing more than 0.3 points below the leader", "worst: %s",
               where);
    least = 1.0;
    *where = '\0';
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        summary s = {0.0, 0.0, 0};
        for (size_t k = 0; k < v->set_count; k++)
            if (strcmp(v->sets[k].set->name, before[i].set) == 0)
                s = figure_of(cell_of(v, before[i].set, "LOCUS", before[i].anchors, 0), F_RIGHT);
        if (s.count == 0 || s.mean - before[i].routing >= least) continue;
        least = s.mean - before[i].routing;
        snprintf(where, sizeof where, "%s at %u: %.2f, was %.1f", before[i].set, (unsigned)before[i].anchors,
                 100.0 * s.mean, 100.0 * before[i].routing);
    }
    if (*where)
        target(t, least >= -0.0015, "open 26, all 33: routing no more than 0.1 below 0.3.0's (rounded to 0.1)",
               "worst: %s", where);
}

static void calibration_targets(tally *t, const view *v)
{
    double most = 0.0, rise = -1.0;
    char where[128] = "", risen[128] = "";
    for (size_t k = 0; k < v->set_count; k++) {
        for (size_t i = 0; i < v->sets[k].size_count; i++) {
            const char *set = v->sets[k].set->name;
            const summary on = value_of(v, set, "LOCUS calibrated", v->sets[k].sizes[i], V_ece);
            const summary off = value_of(v, set, "LOCUS", v->sets[k].sizes[i], V_ece);
            if (on.count == 0 || off.count == 0) continue;
            if (on.mean > most) {
                most = on.mean;
                snprintf(where, sizeof where, "worst: %.40s at %u, %.2f %%", v->sets[k].set->title,
                         (unsigned)v->sets[k].sizes[i], 100.0 * on.mean);
            }
            if (on.mean - off.mean > rise) {
                rise = on.mean - off.mean;
                snprintf(risen, sizeof risen, "worst: %.40s at %u, from %.2f to %.2f %%", v->sets[k].set->title,
                         (unsigned)v->sets[k].sizes[i], 100.0 * off.mean, 100.0 * on.mean);
            }
        }
    }
    if (!*where) return;
    target(t, most <= 0.02, "calibrated: expected calibration error at most 2 % on every set", "%s", where);
    target(t, rise <= 0.0, "calibration never raises it", "%s", risen);
}

// AIQ of a method less another's (NULL: less that of the single models), paired samples, averaged over draws.
static interval compare_aiq(const view *v, const char *set, size_t anchors, const char *a, const char *b, size_t *count)
{
    static double samples[1 + BOOT_COSTS];
    const char *const methods[2] = {a, b ? b : a};
    interval out = {(double)NAN, (double)NAN, (double)NAN};
    memset(samples, 0, sizeof samples);
    *count = 0;
    for (size_t seed = 0; seed < SEEDS_MOST; seed++) {
        locus_array x[2];
        int found = 0;
        for (int i = 0; i < 2; i++) {
            const result key = result_make(set, "pool", methods[i], anchors, seed, 0, 0);
            char path[600];
            locus_error err;
            result_path(v->folder, &key, "aiq", path);
            if (results_find(v->all, &key) && !locus_npy_open(&x[i], path, &err)) found |= 1 << i;
        }
        if (found == 3 && x[0].count == 2 * (1 + BOOT_COSTS) && x[1].count == x[0].count) {
            ++*count;
            for (size_t i = 0; i <= BOOT_COSTS; i++)
                samples[i] +=
                    (double)((const float *)x[0].data)[2 * i] - (double)((const float *)x[1].data)[2 * i + (b ? 0 : 1)];
        }
        for (int i = 0; i < 2; i++)
            if (found >> i & 1) locus_array_close(&x[i]);
    }
    if (*count == 0) return out;
    for (size_t i = 0; i <= BOOT_COSTS; i++) samples[i] /= (double)*count;
    out.difference = samples[0];
    interval_ends(samples + 1, BOOT_COSTS, &out);
    return out;
}

static const char *const money_rivals[] = {NULL, "kNN 50", "logistic regression"};

static void money_targets(tally *t, const view *v)
{
    for (size_t k = 0; k < v->set_count; k++) {
        for (size_t r = 0; r < 3; r++) {
            char what[160], text[512] = "";
            int met = 1;
            for (size_t i = 0; i < v->sets[k].size_count; i++) {
                size_t count;
                const interval d =
                    compare_aiq(v, v->sets[k].set->name, v->sets[k].sizes[i], "LOCUS", money_rivals[r], &count);
                if (count == 0) continue;
                if (!(d.difference > 0.0)) met = 0;
                add_text(text, sizeof text, "%sat %u: %+.4f [%+.4f, %+.4f]", *text ? ", " : "",
                         (unsigned)v->sets[k].sizes[i], d.difference, d.low, d.high);
            }
            if (!*text) continue;
            snprintf(what, sizeof what, "%s: AIQ above %s", v->sets[k].set->title,
                     money_rivals[r] ? money_rivals[r] : "the zero router's (hull of single models)");
            target(t, met, what, "%s", text);
        }
    }
}

static double total_seconds(const view *v, const char *method, const char *set) // NULL: all
{
    double sum = 0.0;
    for (size_t i = 0; i < v->all->count; i++) {
        const result *r = &v->all->list[i];
        if (!isnan(r->v[V_seconds]) && (!method || !strcmp(r->method, method)) && (!set || !strcmp(r->set, set)))
            sum += r->v[V_seconds];
    }
    return sum;
}

static void print_targets(FILE *f, view *v)
{
    tally t = {NULL, 0, 0};
    double seconds = 0.0;
    size_t there = 0, wanted = 0;
    t.f = f;
    for (size_t k = 0; k < v->set_count; k++) {
        seconds += total_seconds(v, NULL, v->sets[k].set->name);
        for (size_t i = 0; i < v->sets[k].size_count; i++, wanted += SEEDS)
            there += value_of(v, v->sets[k].set->name, "LOCUS", v->sets[k].sizes[i], V_brier).count;
    }
    fprintf(f, "## Targets\n\n");
    if (there < wanted)
        fprintf(f, "Not all was run: LOCUS has %u of %u results on pools.\n\n", (unsigned)there, (unsigned)wanted);
    fprintf(f, "| target | measured | |\n| --- | --- | --- |\n");
    rival_targets(&t, v, 0);
    rival_targets(&t, v, 1);
    calibration_targets(&t, v);
    leader_targets(&t, v);
    money_targets(&t, v);
    if (v->set_count == sizeof known_sets / sizeof *known_sets && there >= wanted)
        target(&t, seconds <= 7200.0, "all of it in 60 minutes on 2 cores", "%.0f minutes of one core", seconds / 60.0);
    fprintf(f, "\n%u of %u met.\n\n", (unsigned)t.met, (unsigned)t.all);
}

// ------------------------------------------------------------------------------------------------------- >>tables

static void print_summary(FILE *f, const summary *s, double scale, int digits, int bold)
{
    const char *mark = bold ? "**" : "";
    if (s->count == 0) fprintf(f, " | ");
    else if (isnan(s->sd)) fprintf(f, " | %s%.*f%s", mark, digits, scale * s->mean, mark);
    else fprintf(f, " | %s%.*f%s ± %.*f", mark, digits, scale * s->mean, mark, digits, scale * s->sd);
}

// One figure's rows. grid[column][method]
static void print_block(FILE *f, const view *v, summary grid[][MAX_METHODS], size_t columns, const char *name,
                        double scale, int digits, int low)
{
    fprintf(f, "| **%s**", name);
    for (size_t c = 0; c < columns; c++) fprintf(f, " |");
    fprintf(f, " |\n");
    for (int told = 0; told < 2; told++) {
        for (size_t m = 0; m < v->method_count; m++) {
            int some = 0;
            for (size_t c = 0; c < columns; c++) some |= grid[c][m].count > 0;
            if (!some || base_is_told(v->methods[m]) != told) continue;
            fprintf(f, told ? "| *%s*" : "| %s", v->methods[m]);
            for (size_t c = 0; c < columns; c++) {
                int best = grid[c][m].count > 0 && !told;
                for (size_t k = 0; k < v->method_count && best; k++)
                    if (grid[c][k].count && !base_is_told(v->methods[k]))
                        best = low ? grid[c][k].mean >= grid[c][m].mean : grid[c][k].mean <= grid[c][m].mean;
                print_summary(f, &grid[c][m], scale, digits, best);
            }
            fprintf(f, " |\n");
        }
    }
}

static void set_table(FILE *f, view *v, size_t k, int new_models)
{
    static summary grid[16][MAX_METHODS];
    static const figure_id kinds[] = {F_BRIER, F_PREDICTION, F_RIGHT, F_SCORE, F_BCE};
    const char *set = v->sets[k].set->name;
    const size_t columns = new_models ? (size_t)NEW_SIZES : v->sets[k].size_count;
    fprintf(f, "| %s", new_models ? "evaluations of the new model" : "evaluations per model");
    for (size_t c = 0; c < columns; c++)
        fprintf(f, " | %u", (unsigned)(new_models ? new_sizes[c] : v->sets[k].sizes[c]));
    fprintf(f, " |\n| ---");
    for (size_t c = 0; c < columns; c++) fprintf(f, " | ---:");
    fprintf(f, " |\n");
    for (size_t q = 0; q < (new_models ? 4u : 5u); q++) {
        const figure_id kind = kinds[q];
        char name[64];
        if (kind == F_SCORE && !v->sets[k].graded) continue;
        for (size_t c = 0; c < columns; c++)
            for (size_t m = 0; m < v->method_count; m++)
                grid[c][m] =
                    figure_of(cell_of(v, set, v->methods[m], new_models ? v->sets[k].new_n : v->sets[k].sizes[c],
                                      new_models ? new_sizes[c] : 0),
                              kind);
        snprintf(name, sizeof name, "%s%s", figure_kinds[kind].name, figure_kinds[kind].unit);
        print_block(f, v, grid, columns, name, figure_kinds[kind].scale, figure_kinds[kind].digits,
                    figure_kinds[kind].low);
    }
    if (!new_models) {
        for (size_t c = 0; c < columns; c++)
            for (size_t m = 0; m < v->method_count; m++)
                grid[c][m] = value_of(v, set, v->methods[m], v->sets[k].sizes[c], V_ece);
        print_block(f, v, grid, columns, "Expected calibration error, %", 100.0, 2, 1);
    }
    fprintf(f, "\n");
}

static void money_table(FILE *f, const view *v, size_t k)
{
    static summary grid[16][MAX_METHODS];
    const char *set = v->sets[k].set->name;
    const size_t columns = v->sets[k].size_count;
    double priced = 0.0;
    summary single = {0.0, 0.0, 0};
    for (size_t c = 0; c < columns; c++) {
        for (size_t m = 0; m < v->method_count; m++) {
            const summary p = value_of(v, set, v->methods[m], v->sets[k].sizes[c], V_priced);
            grid[c][m] = value_of(v, set, v->methods[m], v->sets[k].sizes[c], V_aiq);
            if (p.count) priced = p.mean;
            if (grid[c][m].count) single = value_of(v, set, v->methods[m], v->sets[k].sizes[c], V_aiq_single);
        }
    }
    if (single.count == 0) return;
    fprintf(
        f,
        "Quality against cost, %s: AIQ (RouterBench, arXiv 2403.12031), the area under the non-decreasing hull of "
        "quality against mean\ncost over lambda, by the range from the cheapest to the dearest single model. Of the "
        "%.0f models with a price and a score on every test query\n(so that a single model's figures are of the same "
        "queries). Zero router (the single models' hull): %.4f.\n\n| evaluations per model",
        v->sets[k].set->title, priced, single.mean);
    for (size_t c = 0; c < columns; c++) fprintf(f, " | %u", (unsigned)v->sets[k].sizes[c]);
    fprintf(f, " |\n| ---");
    for (size_t c = 0; c < columns; c++) fprintf(f, " | ---:");
    fprintf(f, " |\n");
    print_block(f, v, grid, columns, "AIQ", 1.0, 4, 0);
    fprintf(f, "\n");
}

static void reference_line(FILE *f, const view *v, size_t k)
{
    const char *set = v->sets[k].set->name;
    for (size_t m = 0; m < v->method_count; m++) {
        for (size_t c = 0; c < v->sets[k].size_count; c++) {
            const summary right = value_of(v, set, v->methods[m], v->sets[k].sizes[c], V_oracle_right);
            const summary score = value_of(v, set, v->methods[m], v->sets[k].sizes[c], V_oracle_score);
            const summary pairs = value_of(v, set, v->methods[m], v->sets[k].sizes[c], V_pairs);
            if (right.count == 0) continue;
            fprintf(f, "%u models, %u test queries, %.1f %% of the cells known. Oracle: %.1f %% right",
                    (unsigned)v->sets[k].models, (unsigned)v->sets[k].queries,
                    100.0 * pairs.mean / (double)(v->sets[k].models * v->sets[k].queries), 100.0 * right.mean);
            if (v->sets[k].graded) fprintf(f, ", mean score %.1f %%", 100.0 * score.mean);
            fprintf(f, ".\n\n");
            return;
        }
    }
}

static void time_table(FILE *f, const view *v)
{
    fprintf(f, "Seconds of one core, all sizes, draws and folds together:\n\n| method");
    for (size_t k = 0; k < v->set_count; k++) fprintf(f, " | %s", v->sets[k].set->title);
    fprintf(f, " |\n| ---");
    for (size_t k = 0; k < v->set_count; k++) fprintf(f, " | ---:");
    fprintf(f, " |\n");
    for (size_t m = 0; m < v->method_count; m++) {
        if (total_seconds(v, v->methods[m], NULL) <= 0.0) continue;
        fprintf(f, "| %s", is_locus(v->methods[m]) ? "LOCUS, all its rows" : v->methods[m]);
        for (size_t k = 0; k < v->set_count; k++)
            fprintf(f, " | %.0f", total_seconds(v, v->methods[m], v->sets[k].set->name));
        fprintf(f, " |\n");
    }
    fprintf(f, "\n");
}

// ----------------------------------------------------------------------------------------------------- >>pictures

enum { PLOT_W = 330, PLOT_H = 300, PLOT_LEFT = 58, PLOT_TOP = 52, PANEL_W = 530, PICTURE_H = 410, NO_COLOUR = 99 };

typedef struct curve {
    const char *name;
    double x[16], y[16];
    size_t count;
} curve;

typedef struct panel {
    const char *title, *x_title, *y_title;
    curve curves[MAX_METHODS];
    size_t count;
    double x0, x1, y0, y1;
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

// Colour of a method's curve; NO_COLOUR: it has none.
static unsigned colour_of(const char *name, int *dashed)
{
    static const struct {
        const char *name;
        unsigned colour;
        int dashed;
    } known[] = {{"LOCUS", 0, 0},           {"kNN 50", 1, 0},  {"kNN 20", 1, 1},
                 {"shrunk clusters", 2, 0}, {"PCA-GP", 2, 1},  {"logistic regression", 3, 0},
                 {"EmbedLLM", 4, 0},        {"IRT-Net", 5, 0}, {"leader (model means)", 6, 1}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        *dashed = known[i].dashed;
        if (strcmp(known[i].name, name) == 0) return known[i].colour;
    }
    return NO_COLOUR;
}

static FILE *picture_open(const settings *s, const char *name, size_t columns, size_t rows, const char *title)
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
            ".rule { stroke-width: 1 }\n",
            (unsigned)(columns * PANEL_W), (unsigned)(rows * PICTURE_H), title);
    picture_colours(f, 0);
    fprintf(f, "@media (prefers-color-scheme: dark) {\n");
    picture_colours(f, 1);
    fprintf(f,
            "}\n</style>\n<clipPath id=\"plot\"><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/></clipPath>\n"
            "<rect class=\"back\" width=\"%u\" height=\"%u\"/>\n",
            PLOT_LEFT - 4, PLOT_TOP - 2, PLOT_W + 8, PLOT_H + 4, (unsigned)(columns * PANEL_W),
            (unsigned)(rows * PICTURE_H));
    return f;
}

static double nice_step(double range) // 1, 2 or 5 times a power of ten: about five ticks
{
    const double raw = range / 5.0, power = pow(10.0, floor(log10(raw))), m = raw / power;
    return power * (m < 1.5 ? 1.0 : m < 3.5 ? 2.0 : m < 7.5 ? 5.0 : 10.0);
}

static double place_x(const panel *p, double x)
{
    return PLOT_LEFT + (log(x) - log(p->x0)) / (log(p->x1) - log(p->x0)) * PLOT_W;
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
    for (double x = p->x0; x <= p->x1 * 1.001; x *= 2.0) {
        if (p->x1 / p->x0 > 40.0 && fmod(round(log2(x / p->x0)), 2.0) > 0.5) continue; // every second, if many
        fprintf(f, "<text class=\"soft\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n", place_x(p, x),
                PLOT_TOP + PLOT_H + 18, x);
    }
    fprintf(f, "<text class=\"soft\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", PLOT_LEFT + 0.5 * PLOT_W,
            PLOT_TOP + PLOT_H + 38, p->x_title);
}

static void draw_panel(FILE *f, const panel *p, size_t column, size_t row)
{
    double label[MAX_METHODS];
    size_t order[MAX_METHODS];
    fprintf(f, "<g transform=\"translate(%u %u)\">\n", (unsigned)(column * PANEL_W), (unsigned)(row * PICTURE_H));
    axes(f, p);
    for (size_t i = p->count; i-- > 0;) { // LOCUS, the first, on top
        const curve *c = &p->curves[i];
        int dashed;
        const unsigned colour = colour_of(c->name, &dashed);
        fprintf(f, "<g clip-path=\"url(#plot)\"><polyline class=\"line s%u%s%s\" points=\"", colour,
                dashed ? " dashed" : "", strcmp(c->name, "LOCUS") ? "" : " bold");
        for (size_t k = 0; k < c->count; k++) fprintf(f, "%.1f,%.1f ", place_x(p, c->x[k]), place_y(p, c->y[k]));
        fprintf(f, "\"/>");
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

static void fit_axes(panel *p, int low_is_good)
{
    double all[MAX_METHODS * 16];
    size_t count = 0;
    p->x0 = 1e30;
    p->x1 = -1e30;
    for (size_t i = 0; i < p->count; i++) {
        for (size_t k = 0; k < p->curves[i].count; k++) {
            if (p->curves[i].x[k] < p->x0) p->x0 = p->curves[i].x[k];
            if (p->curves[i].x[k] > p->x1) p->x1 = p->curves[i].x[k];
            all[count++] = p->curves[i].y[k];
        }
    }
    if (!(p->x1 > p->x0)) p->x1 = 2.0 * p->x0;
    qsort(all, count, sizeof *all, ascending);
    // a few points far off on the bad side would flatten all others: they fall out of the plot
    const double low = all[low_is_good ? 0 : count / 12], high = all[low_is_good ? count - 1 - count / 12 : count - 1];
    const double room = 0.04 * (high > low ? high - low : 1.0);
    p->y0 = low - room;
    p->y1 = high + room;
}

enum { PANELS_A_ROW = 3 };

// A panel for each set: a figure by number of evaluations.
static void curves_picture(const settings *s, view *v, const char *file, const char *title, int new_models,
                           figure_id kind)
{
    static panel p;
    size_t drawn = 0, panels = 0;
    FILE *f;
    for (size_t k = 0; k < v->set_count; k++) panels += new_models ? v->sets[k].new_n > 0 : v->sets[k].size_count > 0;
    if (panels == 0) return;
    f = picture_open(s, file, panels < PANELS_A_ROW ? panels : (size_t)PANELS_A_ROW,
                     (panels + PANELS_A_ROW - 1) / PANELS_A_ROW, title);
    for (size_t k = 0; k < v->set_count; k++) {
        const size_t columns = new_models ? (v->sets[k].new_n ? (size_t)NEW_SIZES : 0) : v->sets[k].size_count;
        memset(&p, 0, sizeof p);
        p.title = v->sets[k].set->title;
        p.y_title = title;
        p.x_title = new_models ? "evaluations of the new model" : "evaluations per model";
        for (size_t m = 0; m < v->method_count; m++) {
            curve *c = &p.curves[p.count];
            int dashed;
            c->name = v->methods[m];
            if (colour_of(c->name, &dashed) == NO_COLOUR) continue;
            for (size_t i = 0; i < columns; i++) {
                const summary a = figure_of(cell_of(v, v->sets[k].set->name, c->name,
                                                    new_models ? v->sets[k].new_n : v->sets[k].sizes[i],
                                                    new_models ? new_sizes[i] : 0),
                                            kind);
                if (a.count == 0) continue;
                c->x[c->count] = (double)(new_models ? new_sizes[i] : v->sets[k].sizes[i]);
                c->y[c->count++] = figure_kinds[kind].scale * a.mean;
            }
            if (c->count) p.count++;
        }
        if (p.count == 0) continue;
        fit_axes(&p, figure_kinds[kind].low);
        draw_panel(f, &p, drawn % PANELS_A_ROW, drawn / PANELS_A_ROW);
        drawn++;
    }
    fprintf(f, "</svg>\n");
    fclose(f);
}

// ------------------------------------------------------------------------------------------------------- >>report

static int report(const results *all, const evaluation_set *sets, size_t count, const settings *s)
{
    static view v;
    static const figure_id main_kinds[] = {F_BRIER, F_PREDICTION, F_RIGHT}, score_kind[] = {F_SCORE};
    char path[600];
    int graded = 0, some_new = 0;
    FILE *f;
    view_make(&v, all, sets, count, s->work);
    if (v.set_count == 0) {
        fprintf(stderr, "no results of these sets in %s\n", all->path);
        return 1;
    }
    for (size_t k = 0; k < v.set_count; k++) graded |= v.sets[k].graded, some_new |= v.sets[k].new_n > 0;
    snprintf(path, sizeof path, "%.500s/RESULTS.md", s->folder);
    f = fopen(path, "w");
    if (!f) die(path, strerror(errno));
    fprintf(f,
            "# LOCUS and its rivals on real evaluations\n\n"
            "Made by `make reproduce` (bench/experiments/reproduce.c). Each method learns from the scores of N "
            "training queries, the "
            "same for all models (cells that\nare missing stay so); mean over draws of them; figures are of the test "
            "split. Validation scores choose hyper-parameters and\ncheckpoints, of the baselines too "
            "(bench/experiments/baselines.h). "
            "A missing score is unknown: routing is judged among the models with a score on the\nquery. *Difference*: "
            "LOCUS less the best baseline of that cell (found on the test split, so to our disadvantage), with a 95 %% "
            "interval\nby bootstrap over queries, paired, draws averaged; of the draws that both have. **better** and "
            "worse: 0 is outside. The form of\nLOCUS's memory and guard and their few priors were compared on the test "
            "parts of these sets (the memory's main choices were confirmed on\nvalidation afterwards): for LOCUS these "
            "figures are to that extent optimistic.\n\n"
            "## Summary\n\n");
    summary_table(f, &v, 0, main_kinds, 3, 0);
    if (graded) {
        fprintf(f, "Where scores are graded, routing by the mean score of the chosen models:\n\n");
        summary_table(f, &v, 0, score_kind, 1, 1);
    }
    versus_table(f, &v, 0);
    if (some_new) {
        fprintf(f,
                "### New models\n\nEach model is held out once (four folds); everything is fitted on the others from "
                "%u evaluations each (or all), then the held-out ones are\nadded from their first n evaluations, all "
                "else frozen; one draw. Brier and prediction: the new models' answers. Routing: the whole pool, old "
                "and new.\n\n",
                (unsigned)NEW_N);
        summary_table(f, &v, 1, main_kinds, 3, 0);
        versus_table(f, &v, 1);
    }
    print_targets(f, &v);
    fprintf(f, "## Set by set\n\nMean ± standard deviation over draws; **bold**: the best of a column, but for *who is "
               "told the category*. kNN and clusters "
               "are shrunk to each model's mean; EmbedLLM and IRT-Net\nstop where validation says.\n\n"
               "![Brier score by evaluations per model](brier.svg)\n\n![Routing by evaluations per model](routing.svg)"
               "\n\n");
    for (size_t k = 0; k < v.set_count; k++) {
        if (v.sets[k].size_count == 0) continue;
        fprintf(f, "### %s\n\n", v.sets[k].set->title);
        reference_line(f, &v, k);
        set_table(f, &v, k, 0);
        money_table(f, &v, k);
    }
    if (some_new) {
        fprintf(f, "## New models, set by set\n\n![Brier score for new models by their evaluations](onboarding.svg)\n\n"
                   "IRT-Net: the new vector is the most probable one under a normal prior with the pool's mean and "
                   "covariance; PCA-GP: the same for loadings.\n\n");
        for (size_t k = 0; k < v.set_count; k++) {
            if (v.sets[k].new_n == 0) continue;
            fprintf(f, "### %s, new models\n\n", v.sets[k].set->title);
            set_table(f, &v, k, 1);
        }
    }
    fprintf(f, "## Time\n\n");
    time_table(f, &v);
    fclose(f);
    curves_picture(s, &v, "brier.svg", "Brier score", 0, F_BRIER);
    curves_picture(s, &v, "routing.svg", "Routing: right, %", 0, F_RIGHT);
    curves_picture(s, &v, "onboarding.svg", "Brier score for new models", 1, F_BRIER);
    printf("%s and its pictures written from %u results\n", path, (unsigned)all->count);
    return 0;
}

#endif
