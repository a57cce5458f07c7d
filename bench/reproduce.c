// SPDX-License-Identifier: MIT
// The claims of the paper, on real evaluations, next to baselines: routing and prediction by number of evaluations,
// new models, whole families held out, geometry of the embeddings.
//
//     make reproduce        runs all that is missing, then writes bench/RESULTS.md and pictures
//
// Every result is a line of build/reproduce.csv as soon as it exists; a result that is there is not computed again.
// Interrupt it at any time. Several processes may work on one file: each job is locked by the one that works on it.
//
// A job fits one method on one pool from the scores of N training queries, the same ones for all models: the first N of
// a permutation of the training split drawn with (seed), so smaller sets are parts of larger ones. Generator:
// SplitMix64 and Fisher-Yates, bench/baselines.h. Validation scores only choose hyper-parameters and checkpoints;
// figures are of the test split.
#if !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#if !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1
#endif

#define LOCUS_IMPLEMENTATION
#include "../locus.h"

#include "baselines.h"
#ifndef REPRODUCE_NO_LOCUS
#include "locus_method.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dataset.h"

enum { ONBOARD_N = 1024, DRIFT_N = 1024, FOLDS = 4, NEIGHBOURS = 10 };
static const size_t onboard_sizes[] = {16, 32, 64, 128, 256, 512, ONBOARD_N}; // the last is "full"
enum { ONBOARD_SIZES = (int)(sizeof onboard_sizes / sizeof *onboard_sizes) };

// ------------------------------------------------------------------------------------------------------------ results

// clang-format off
#define VALUES(X)                                                                                                      \
    X(hit1) X(hit3) X(hit5) X(prediction) X(brier) X(ece) X(bce) X(auc) X(routed) X(oracle) X(pairs) X(pearson)        \
    X(spearman) X(kendall) X(partial) X(agreement) X(drift) X(nearest) X(median) X(identified) X(distance) X(seconds)
#define X(name) V_##name,
typedef enum value_id { VALUES(X) V_COUNT } value_id;
#undef X
#define X(name) #name,
static const char *const value_names[] = { VALUES(X) };
#undef X
// clang-format on

typedef struct result {
    char pool[16], experiment[16], method[32], fold[24];
    size_t anchors, seed, n; // anchors: N
    double v[V_COUNT];       // NaN: does not apply
} result;

typedef struct results {
    char path[512];
    result *list;
    size_t count, room;
    long read_to; // bytes of the file that are in the list
} results;

static result result_make(const char *where, const char *experiment, const char *method, size_t anchors, size_t seed,
                          const char *fold, size_t n)
{
    result r;
    snprintf(r.pool, sizeof r.pool, "%s", where);
    snprintf(r.experiment, sizeof r.experiment, "%s", experiment);
    snprintf(r.method, sizeof r.method, "%s", method);
    snprintf(r.fold, sizeof r.fold, "%s", fold);
    r.anchors = anchors;
    r.seed = seed;
    r.n = n;
    for (size_t i = 0; i < V_COUNT; i++) r.v[i] = NAN;
    return r;
}

static const result *results_find(const results *all, const result *key)
{
    for (size_t i = 0; i < all->count; i++) {
        const result *r = &all->list[i];
        if (r->anchors == key->anchors && r->seed == key->seed && r->n == key->n && !strcmp(r->pool, key->pool) &&
            !strcmp(r->experiment, key->experiment) && !strcmp(r->method, key->method) && !strcmp(r->fold, key->fold))
            return r;
    }
    return NULL;
}

static void results_keep(results *all, const result *r)
{
    if (all->count == all->room) {
        all->room = all->room ? 2 * all->room : 1024;
        all->list = (result *)realloc(all->list, all->room * sizeof *all->list);
        if (!all->list) die("memory", "not enough");
    }
    all->list[all->count++] = *r;
}

static void results_read(results *all)
{
    FILE *f = fopen(all->path, "r");
    char line[1024];
    if (!f) return;
    if (fseek(f, all->read_to, SEEK_SET) != 0) die(all->path, "cannot be read");
    while (fgets(line, sizeof line, f)) {
        char *at = line, *field[7];
        size_t length = strlen(line), i;
        result r;
        if (line[length - 1] != '\n') break;
        all->read_to += (long)length;
        line[length - 1] = '\0';
        for (i = 0; i < 7 && (field[i] = next_field(&at)) != NULL; i++) {}
        if (i < 7 || strcmp(field[0], "pool") == 0) continue; // heading, or a line of something else
        r = result_make(field[0], field[1], field[2], strtoul(field[3], NULL, 10), strtoul(field[4], NULL, 10),
                        field[5], strtoul(field[6], NULL, 10));
        for (i = 0; i < V_COUNT && (field[0] = next_field(&at)) != NULL; i++)
            if (field[0][0]) r.v[i] = strtod(field[0], NULL);
        if (i == V_COUNT) results_keep(all, &r);
    }
    fclose(f);
}

// All lines of a job at once: one write, so that lines of two processes do not mix and a job is there or is not.
static void results_append(const results *all, const result *list, size_t count)
{
    const size_t room = (count + 1) * 768;
    char *text = (char *)base_alloc(room, 1);
    size_t used = 0;
    int file = open(all->path, O_RDWR | O_APPEND | O_CREAT, 0666);
    char last = '\n';
    off_t end;
    if (file < 0) die(all->path, strerror(errno));
    end = lseek(file, 0, SEEK_END);
    if (end == 0) {
        used += (size_t)snprintf(text, room, "pool,experiment,method,N,seed,fold,n");
        for (size_t i = 0; i < V_COUNT; i++) used += (size_t)snprintf(text + used, room - used, ",%s", value_names[i]);
        used += (size_t)snprintf(text + used, room - used, "\n");
    } else if (pread(file, &last, 1, end - 1) == 1 && last != '\n') {
        used += (size_t)snprintf(text, room, "\n"); // a line that a full disk or a crash cut off
    }
    for (size_t k = 0; k < count; k++) {
        const result *r = &list[k];
        used += (size_t)snprintf(text + used, room - used, "%s,%s,%s,%u,%u,%s,%u", r->pool, r->experiment, r->method,
                                 (unsigned)r->anchors, (unsigned)r->seed, r->fold, (unsigned)r->n);
        for (size_t i = 0; i < V_COUNT; i++) {
            if (isnan(r->v[i])) {
                used += (size_t)snprintf(text + used, room - used, ",");
            } else {
                used += (size_t)snprintf(text + used, room - used, ",%.7g", r->v[i]);
            }
        }
        used += (size_t)snprintf(text + used, room - used, "\n");
    }
    if (write(file, text, used) != (ssize_t)used || close(file) != 0) die(all->path, "cannot be written");
    free(text);
}

// ------------------------------------------------------------------------------------------------------------ figures

// Prediction and routing figures of logits [n, count] on the test part into r.
static void measure(const dataset *d, const size_t *models, size_t count, const float *logits, result *r)
{
    const split_rows *test = &d->part[2];
    unsigned char *y = gather(d, models, count, test->columns, test->count);
    const size_t bytes = locus_metrics_workspace(test->count, count);
    void *work = base_alloc(bytes, 1);
    locus_scores scores;
    locus_metrics m;
    locus_error err = {0};
    memset(&scores, 0, sizeof scores);
    scores.models = count;
    scores.stride = test->count;
    scores.scores_u8 = y;
    check(locus_metrics_compute(&m, logits, test->count, &scores, NULL, work, bytes, &err), &err);
    r->v[V_hit1] = strcmp(r->method, "random") == 0 ? m.random_model : m.hit1;
    r->v[V_hit3] = m.hit3;
    r->v[V_hit5] = m.hit5;
    r->v[V_prediction] = m.prediction_accuracy;
    r->v[V_brier] = m.brier;
    r->v[V_ece] = m.ece;
    r->v[V_bce] = m.bce;
    r->v[V_auc] = m.auc;
    r->v[V_routed] = (double)m.models_routed;
    r->v[V_oracle] = m.oracle;
    r->v[V_pairs] = (double)m.pairs;
    free(y);
    free(work);
}

// ------------------------------------------------------------------------------------------------------------- a job

typedef enum job_kind { JOB_POOL, JOB_RIVALS, JOB_FOLD, JOB_FAMILY } job_kind;
static const char *const kind_names[] = {"pool", "geometry", "onboard", "family"};

typedef struct job {
    job_kind kind;
    const pool *p;
    const base_method *method; // NULL: JOB_RIVALS
    size_t anchors, seed, fold;
    double cost; // expected seconds
} job;

typedef struct output { // lines of a job, in the order in which they are written; the last is the job's mark
    result list[1024];
    size_t count;
} output;

static result *emit(output *o, result r)
{
    if (o->count == sizeof o->list / sizeof *o->list) die("output", "job has too many lines");
    o->list[o->count] = r;
    return &o->list[o->count++];
}

static const char *fold_name(const job *j, char text[24])
{
    if (j->kind == JOB_FAMILY) return families[j->fold];
    if (j->kind == JOB_FOLD) {
        snprintf(text, 24, "%u", (unsigned)j->fold);
    } else {
        snprintf(text, 24, "%s", j->kind == JOB_RIVALS ? "hamming" : "");
    }
    return text;
}

static result job_mark(const job *j)
{
    char text[24];
    const size_t n = j->kind == JOB_FOLD || j->kind == JOB_FAMILY ? ONBOARD_N : 0;
    return result_make(j->p->name, kind_names[j->kind], j->method ? j->method->name : "rivals", j->anchors, j->seed,
                       fold_name(j, text), n);
}

// Distance of every pair of models against their disagreement on the test part; neighbours' agreement.
static void geometry_rows(const dataset *d, const job *j, const double *distance, const char *name, output *o)
{
    const size_t models = j->p->count, pairs = models * (models - 1) / 2, n = d->part[2].count;
    unsigned char *y = gather(d, j->p->members, models, d->part[2].columns, n);
    double *x = (double *)base_alloc(3 * pairs, sizeof *x), *differ = x + pairs, *gap = differ + pairs;
    double agree[NEIGHBOURS] = {0};
    size_t at = 0;
    const char *method = j->method ? j->method->name : "rivals";
    const int shown = !strcmp(method, "LOCUS") || !strcmp(method, "EmbedLLM tuned") || !j->method;
    const int picture = shown && j->anchors == DRIFT_N && j->seed == 0 && !strcmp(j->p->name, "all33") &&
                        (!strcmp(name, "cosine") || !strcmp(name, "accuracy"));
    result *r;
    for (size_t a = 0; a < models; a++) {
        for (size_t b = 0; b < a; b++) {
            x[at] = distance[a * models + b];
            differ[at] = disagreement(y + a * n, y + b * n, n);
            gap[at++] = fabs(mean_score(y + a * n, n) - mean_score(y + b * n, n));
            if (picture) {
                char pair[24];
                snprintf(pair, sizeof pair, "%u-%u", (unsigned)a, (unsigned)b);
                r = emit(o, result_make(j->p->name, "pair", method, j->anchors, j->seed, pair, 0));
                r->v[V_distance] = x[at - 1];
                r->v[V_agreement] = 1.0 - differ[at - 1];
            }
        }
    }
    for (size_t a = 0; a < models; a++) {
        size_t taken[MAX_POOL] = {0};
        taken[a] = 1;
        for (size_t k = 0; k < NEIGHBOURS; k++) {
            size_t best = models;
            for (size_t b = 0; b < models; b++)
                if (!taken[b] && (best == models || distance[a * models + b] < distance[a * models + best])) best = b;
            taken[best] = 1;
            agree[k] += (1.0 - disagreement(y + a * n, y + best * n, n)) / (double)models;
        }
    }
    for (size_t k = 0; k < NEIGHBOURS; k++) {
        r = emit(o, result_make(j->p->name, "neighbour", method, j->anchors, j->seed, name, k + 1));
        r->v[V_agreement] = agree[k];
    }
    r = emit(o, result_make(j->p->name, "geometry", method, j->anchors, j->seed, name, 0));
    r->v[V_pearson] = pearson(x, differ, pairs);
    r->v[V_spearman] = spearman(x, differ, pairs);
    r->v[V_kendall] = kendall(x, differ, pairs);
    r->v[V_partial] = partial(x, differ, gap, pairs);
    r->v[V_agreement] = agree[0];
    free(x);
    free(y);
}

static void embedding_geometry(const dataset *d, const job *j, const void *state, output *o)
{
    const size_t models = j->p->count, width = j->method->embedding(state, 0, NULL);
    float *z = base_floats(models * width);
    double *distance = (double *)base_alloc(models * models, sizeof *distance);
    for (size_t m = 0; m < models; m++) j->method->embedding(state, m, z + m * width);
    for (int kind = 0; kind < 2; kind++) {
        for (size_t a = 0; a < models; a++)
            for (size_t b = 0; b < models; b++)
                distance[a * models + b] =
                    (kind ? euclidean_distance : cosine_distance)(z + a * width, z + b * width, width);
        geometry_rows(d, j, distance, kind ? "euclidean" : "cosine", o);
    }
    free(z);
    free(distance);
}

// z <- the model's vector from evaluations [first, first + n) of the job's, as a new model would get it.
static void embed_as_new(const dataset *d, const job *j, void *state, const evaluations *e, size_t model, size_t first,
                         size_t n, float *z)
{
    if (j->method->add(state, e->enc + first * d->dim, e->scores + model * e->rows + first, n, j->seed))
        die(j->method->name, "cannot add a model");
    j->method->embedding(state, j->p->count, z);
    j->method->truncate(state, j->p->count);
}

// How far a model's embedding moves with the number and the overlap of the evaluations, next to other models' distance.
static void drift_rows(const dataset *d, const job *j, void *state, const evaluations *e, output *o)
{
    static const char *const names[] = {"to all", "overlap 0", "overlap 1/2"};
    const size_t models = j->p->count, width = j->method->embedding(state, 0, NULL);
    float *all = base_floats(models * width), *a = base_floats(2 * width), *b = a + width;
    double nearest[MAX_POOL], middle[MAX_POOL], other[MAX_POOL];
    for (size_t m = 0; m < models; m++) embed_as_new(d, j, state, e, m, 0, e->rows, all + m * width);
    for (size_t m = 0; m < models; m++) {
        size_t count = 0;
        for (size_t k = 0; k < models; k++)
            if (k != m) other[count++] = cosine_distance(all + m * width, all + k * width, width);
        middle[m] = median_of(other, count);
        nearest[m] = other[0];
    }
    for (size_t size = 0; size + 1 < ONBOARD_SIZES; size++) {
        const size_t n = onboard_sizes[size];
        double drift[3][MAX_POOL], found = 0.0, copy[MAX_POOL];
        for (size_t m = 0; m < models; m++) {
            size_t best = 0;
            embed_as_new(d, j, state, e, m, 0, n, a);
            drift[0][m] = cosine_distance(a, all + m * width, width);
            for (size_t k = 1; k < models; k++)
                if (cosine_distance(a, all + k * width, width) < cosine_distance(a, all + best * width, width))
                    best = k;
            found += best == m;
            embed_as_new(d, j, state, e, m, n, n, b);
            drift[1][m] = cosine_distance(a, b, width);
            embed_as_new(d, j, state, e, m, n / 2, n, b);
            drift[2][m] = cosine_distance(a, b, width);
        }
        for (size_t k = 0; k < 3; k++) {
            result *r = emit(o, result_make(j->p->name, "drift", j->method->name, j->anchors, j->seed, names[k], n));
            r->v[V_drift] = median_of(drift[k], models);
            memcpy(copy, nearest, sizeof copy);
            r->v[V_nearest] = median_of(copy, models);
            memcpy(copy, middle, sizeof copy);
            r->v[V_median] = median_of(copy, models);
            if (k == 0) r->v[V_identified] = found / (double)models;
        }
    }
    free(all);
    free(a);
}

static int run_pool(const dataset *d, const job *j, output *o)
{
    const split_rows *test = &d->part[2];
    const double start = now();
    evaluations e;
    base_data b;
    void *state;
    float *logits;
    double seconds;
    result *r;
    make_evaluations(d, j->p->members, j->p->count, j->anchors, j->seed, &e, &b);
    state = j->method->fit(&b);
    if (!state) return free_evaluations(&e), 1;
    logits = base_floats(test->count * j->p->count);
    j->method->predict(state, test->enc, test->count, logits);
    seconds = now() - start;
    if (j->method->embedding) {
        embedding_geometry(d, j, state, o);
        if (j->anchors == DRIFT_N && j->seed == 0) drift_rows(d, j, state, &e, o);
    }
    r = emit(o, job_mark(j));
    measure(d, j->p->members, j->p->count, logits, r);
    r->v[V_seconds] = seconds;
    j->method->release(state);
    free_evaluations(&e);
    free(logits);
    return 0;
}

// What needs no embedding: difference of accuracies, and share of the evaluations on which two models differ.
static int run_rivals(const dataset *d, const job *j, output *o)
{
    const size_t models = j->p->count;
    double *distance = (double *)base_alloc(models * models, sizeof *distance);
    evaluations e;
    base_data b;
    make_evaluations(d, j->p->members, models, j->anchors, j->seed, &e, &b);
    for (int kind = 0; kind < 2; kind++) {
        for (size_t x = 0; x < models; x++) {
            for (size_t y = 0; y < models; y++) {
                const unsigned char *sx = e.scores + x * e.rows, *sy = e.scores + y * e.rows;
                distance[x * models + y] =
                    kind ? disagreement(sx, sy, e.rows) : fabs(mean_score(sx, e.rows) - mean_score(sy, e.rows));
            }
        }
        geometry_rows(d, j, distance, kind ? "hamming" : "accuracy", o);
    }
    free_evaluations(&e);
    free(distance);
    return 0;
}

// Fit without some of the models, then add them from n evaluations each.
static int run_onboard(const dataset *d, const job *j, output *o)
{
    const split_rows *test = &d->part[2];
    const size_t count = j->p->count;
    const double start = now();
    size_t old = 0, added = 0, order[MAX_POOL], models[MAX_POOL], held[MAX_POOL], failed = 0;
    uint64_t shuffle = 0xF01D + j->seed;
    unsigned char *scores;
    float *logits, *part;
    evaluations e;
    base_data b;
    char text[24];
    void *state;
    for (size_t m = 0; m < count; m++) order[m] = m;
    base_shuffle(order, count, &shuffle);
    for (size_t m = 0; m < count; m++) {
        const size_t row = j->p->members[j->kind == JOB_FOLD ? order[m] : m];
        const int out = j->kind == JOB_FOLD ? m % FOLDS == j->fold : family_of(d->names[row]) == j->fold;
        if (out) {
            held[added++] = row;
        } else {
            models[old++] = row;
        }
    }
    make_evaluations(d, models, old, j->anchors, j->seed, &e, &b);
    state = j->method->fit(&b);
    if (!state) return free_evaluations(&e), 1;
    memcpy(models + old, held, added * sizeof *held);
    scores = gather(d, held, added, e.columns, e.rows);
    logits = base_floats(test->count * count);
    part = base_floats(test->count * added);
    for (size_t size = 0; size < ONBOARD_SIZES && !failed; size++) {
        const size_t n = onboard_sizes[size] < e.rows ? onboard_sizes[size] : e.rows;
        result all = job_mark(j), *r;
        j->method->truncate(state, old);
        for (size_t m = 0; m < added; m++)
            failed |= (size_t)(j->method->add(state, e.enc, scores + m * e.rows, n, j->seed) != 0);
        if (failed) break;
        j->method->predict(state, test->enc, test->count, logits);
        for (size_t i = 0; i < test->count; i++)
            memcpy(part + i * added, logits + i * count + old, added * sizeof *part);
        measure(d, models, count, logits, &all);
        r = emit(o, result_make(j->p->name, kind_names[j->kind], j->method->name, j->anchors, j->seed,
                                fold_name(j, text), onboard_sizes[size]));
        measure(d, held, added, part, r); // prediction figures: the new models; routing: the whole pool
        r->v[V_hit1] = all.v[V_hit1];
        r->v[V_hit3] = all.v[V_hit3];
        r->v[V_hit5] = all.v[V_hit5];
        r->v[V_routed] = all.v[V_routed];
        r->v[V_oracle] = all.v[V_oracle];
        r->v[V_seconds] = now() - start;
    }
    j->method->release(state);
    free_evaluations(&e);
    free(scores);
    free(logits);
    free(part);
    return (int)failed;
}

static int run_job(const dataset *d, const job *j, output *o)
{
    o->count = 0;
    switch (j->kind) {
    case JOB_POOL: return run_pool(d, j, o);
    case JOB_RIVALS: return run_rivals(d, j, o);
    case JOB_FOLD:
    case JOB_FAMILY:
    default: return run_onboard(d, j, o);
    }
}

// ------------------------------------------------------------------------------------------------------- list of jobs

typedef struct settings {
    const char *data, *csv, *folder, *only, *methods, *pool; // only: an experiment; methods, pool: part of a name
    size_t sizes[16], size_count, seeds, onboard_seeds, processes;
    int report;
} settings;

typedef struct job_list {
    job list[4096];
    size_t count;
} job_list;

static void add_job(job_list *jobs, const settings *s, job_kind kind, const pool *p, const base_method *m,
                    size_t anchors, size_t seed, size_t fold)
{
    job *j = &jobs->list[jobs->count];
    if (s->only && strcmp(s->only, kind_names[kind]) != 0) return;
    if (s->methods && (!m || !strstr(m->name, s->methods))) return;
    if (s->pool && strcmp(s->pool, p->name) != 0) return;
    if (jobs->count == sizeof jobs->list / sizeof *jobs->list) die("jobs", "too many");
    j->kind = kind;
    j->p = p;
    j->method = m;
    j->anchors = anchors;
    j->seed = seed;
    j->fold = fold;
    j->cost = 0.0;
    jobs->count++;
}

static const base_method *method_at(size_t i)
{
#ifndef REPRODUCE_NO_LOCUS
    if (i < (size_t)LOCUS_METHODS) return &locus_methods[i];
    i -= (size_t)LOCUS_METHODS;
#endif
    return i < (size_t)BASE_METHODS ? &base_methods[i] : NULL;
}

// Seconds that a job takes: as long as the same took before, else a guess.
static double expected_cost(const results *all, const job *j)
{
    double sum = 0.0, count = 0.0;
    if (!j->method) return 0.1;
    for (size_t i = 0; i < all->count; i++) {
        const result *r = &all->list[i];
        if (isnan(r->v[V_seconds]) || r->anchors != j->anchors || strcmp(r->method, j->method->name) != 0 ||
            strcmp(r->experiment, kind_names[j->kind]) != 0 || (j->kind != JOB_POOL && r->n != ONBOARD_N))
            continue;
        sum += r->v[V_seconds];
        count += 1.0;
    }
    if (count > 0.0) return sum / count;
    if (strncmp(j->method->name, "LOCUS", 5) == 0) return 30.0 + 0.03 * (double)j->anchors;
    return j->method->embedding ? 8.0 : 1.0;
}

static int dearer_first(const void *a, const void *b)
{
    const job *x = (const job *)a, *y = (const job *)b;
    return (x->cost < y->cost) - (x->cost > y->cost);
}

static void list_jobs(job_list *jobs, const settings *s, const pool pools[2])
{
    const base_method *m;
    for (size_t p = 0; p < 2; p++) {
        for (size_t seed = 0; seed < s->seeds; seed++) {
            for (size_t size = 0; size < s->size_count; size++) {
                add_job(jobs, s, JOB_RIVALS, &pools[p], NULL, s->sizes[size], seed, 0);
                for (size_t i = 0; (m = method_at(i)) != NULL; i++)
                    add_job(jobs, s, JOB_POOL, &pools[p], m, s->sizes[size], seed, 0);
            }
            if (seed >= s->onboard_seeds) continue;
            for (size_t i = 0; (m = method_at(i)) != NULL; i++) {
                for (size_t f = 0; f < FOLDS; f++) add_job(jobs, s, JOB_FOLD, &pools[p], m, ONBOARD_N, seed, f);
                for (size_t f = 0; f < FAMILIES; f++) add_job(jobs, s, JOB_FAMILY, &pools[p], m, ONBOARD_N, seed, f);
            }
        }
    }
}

// Locks one byte of a file for this job, till the process ends or unlocks: nobody else works on it meanwhile.
static int lock_job(int file, const job *j, int on)
{
    const result mark = job_mark(j);
    uint64_t h = 0xCBF29CE484222325u ^ (mark.anchors * 8191 + mark.seed);
    const char *const parts[] = {mark.pool, mark.experiment, mark.method, mark.fold};
    struct flock lock;
    for (size_t i = 0; i < 4; i++)
        for (const char *c = parts[i]; *c; c++) h = (h ^ (unsigned char)*c) * 0x100000001B3u;
    memset(&lock, 0, sizeof lock);
    lock.l_type = (short)(on ? F_WRLCK : F_UNLCK);
    lock.l_whence = SEEK_SET;
    lock.l_start = (off_t)(h & 0x3FFFFFFF);
    lock.l_len = 1;
    return fcntl(file, F_SETLK, &lock);
}

static void clock_text(char out[16], double seconds)
{
    const unsigned s = (unsigned)(seconds + 0.5);
    snprintf(out, 16, "%u:%02u:%02u", s / 3600 % 1000, s / 60 % 60, s % 60);
}

static void work(const dataset *d, job_list *jobs, results *all, const settings *s)
{
    static output o;
    const double start = now();
    char path[600];
    int file;
    snprintf(path, sizeof path, "%.500s.lock", s->csv);
    file = open(path, O_RDWR | O_CREAT, 0666);
    if (file < 0) die(path, strerror(errno));
    for (size_t i = 0; i < jobs->count; i++) {
        const job *j = &jobs->list[i];
        const result mark = job_mark(j), *last;
        double left = 0.0, took = now();
        size_t done = 0;
        char spent[16], remaining[16];
        if (results_find(all, &mark) || lock_job(file, j, 1) != 0) continue;
        results_read(all);
        if (!results_find(all, &mark)) {
            if (run_job(d, j, &o)) {
                fprintf(stderr, "skipped: %s %s %s\n", mark.pool, mark.experiment, mark.method);
                lock_job(file, j, 0);
                continue;
            }
            results_append(all, o.list, o.count);
            results_read(all);
            took = now() - took;
            last = &o.list[o.count - 1];
            for (size_t k = 0; k < jobs->count; k++) {
                const result other = job_mark(&jobs->list[k]);
                if (results_find(all, &other)) {
                    done++;
                } else {
                    left += jobs->list[k].cost / (double)s->processes;
                }
            }
            clock_text(spent, now() - start);
            clock_text(remaining, left);
            fprintf(stderr, "[%u/%u] %-6s %-8s %-19s N %-4u seed %u %-8s", (unsigned)done, (unsigned)jobs->count,
                    mark.pool, mark.experiment, mark.method, (unsigned)mark.anchors, (unsigned)mark.seed, mark.fold);
            if (!isnan(last->v[V_hit1]))
                fprintf(stderr, " routing %5.2f  prediction %5.2f", 100.0 * last->v[V_hit1],
                        100.0 * last->v[V_prediction]);
            fprintf(stderr, "  (%.1f s; elapsed %s, about %s left)\n", took, spent, remaining);
        }
        lock_job(file, j, 0);
    }
    close(file);
}

#include "report.h"

static void usage(FILE *f)
{
    fprintf(f, "usage: build/reproduce [options]      (from the project's root)\n"
               "  --report           only write the tables and pictures from what is in the CSV\n"
               "  --all-sizes        also 128, 512 and 2,048 evaluations\n"
               "  --sizes A,B,...    these numbers of evaluations (default 64,256,1024,4096)\n"
               "  --seeds S          (3)    --onboard-seeds S (1)\n"
               "  --processes P      that many at a time (2)\n"
               "  --only pool|geometry|onboard|family   --methods PART   --pool open26|all33\n"
               "  --data DIR (../shared/data/mmlu-pro)  --csv FILE (build/reproduce.csv)  --out DIR (bench)\n"
               "  --selftest         check the baselines' derivatives\n");
}

static size_t parse_sizes(const char *text, size_t sizes[16])
{
    size_t count = 0;
    char *end;
    for (; *text && count < 16; text = *end ? end + 1 : end) sizes[count++] = strtoul(text, &end, 10);
    return count;
}

static void parse(settings *s, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(a, "--help") == 0) {
            usage(stdout);
            exit(0);
        } else if (strcmp(a, "--selftest") == 0) {
            const int failures = base_selftest();
            printf("baselines: %d failures\n", failures);
            exit(failures ? 1 : 0);
        } else if (strcmp(a, "--report") == 0) {
            s->report = 1;
            continue;
        } else if (strcmp(a, "--all-sizes") == 0) {
            s->size_count = parse_sizes("64,128,256,512,1024,2048,4096", s->sizes);
            continue;
        } else if (!value) {
            usage(stderr);
            exit(2);
        } else if (strcmp(a, "--sizes") == 0) {
            s->size_count = parse_sizes(value, s->sizes);
        } else if (strcmp(a, "--seeds") == 0) {
            s->seeds = strtoul(value, NULL, 10);
        } else if (strcmp(a, "--onboard-seeds") == 0) {
            s->onboard_seeds = strtoul(value, NULL, 10);
        } else if (strcmp(a, "--processes") == 0) {
            s->processes = strtoul(value, NULL, 10);
        } else if (strcmp(a, "--only") == 0) {
            s->only = value;
        } else if (strcmp(a, "--methods") == 0) {
            s->methods = value;
        } else if (strcmp(a, "--pool") == 0) {
            s->pool = value;
        } else if (strcmp(a, "--data") == 0) {
            s->data = value;
        } else if (strcmp(a, "--csv") == 0) {
            s->csv = value;
        } else if (strcmp(a, "--out") == 0) {
            s->folder = value;
        } else {
            usage(stderr);
            exit(2);
        }
        i++;
    }
    if (s->processes < 1 || s->processes > 64) die("--processes", "1 to 64");
}

int main(int argc, char **argv)
{
    static dataset d;
    static job_list jobs;
    static results all;
    static settings s;
    pool pools[2];
    s.data = "../shared/data/mmlu-pro";
    s.csv = "build/reproduce.csv";
    s.folder = "bench";
    s.size_count = parse_sizes("64,256,1024,4096", s.sizes);
    s.seeds = 3;
    s.onboard_seeds = 1;
    s.processes = 2;
    parse(&s, argc, argv);
    openblas_set_num_threads(1); // processes run side by side instead
    snprintf(all.path, sizeof all.path, "%.500s", s.csv);
    results_read(&all);
    load(&d, s.data);
    make_pools(&d, pools);
    if (!s.report) {
        pid_t children[64];
        size_t forked = 0;
        int failed = 0, status;
        list_jobs(&jobs, &s, pools);
        for (size_t i = 0; i < jobs.count; i++) jobs.list[i].cost = expected_cost(&all, &jobs.list[i]);
        qsort(jobs.list, jobs.count, sizeof *jobs.list,
              dearer_first); // so that both processes end at about the same time
        while (forked + 1 < s.processes) {
            const pid_t child = fork();
            if (child < 0) break;
            if (child == 0) {
                work(&d, &jobs, &all, &s);
                exit(0);
            }
            children[forked++] = child;
        }
        work(&d, &jobs, &all, &s);
        for (size_t i = 0; i < forked; i++) failed |= waitpid(children[i], &status, 0) < 0 || status != 0;
        if (failed) die("a worker", "failed; what it finished is kept");
        results_read(&all);
    }
    return report(&d, pools, &all, &s);
}
