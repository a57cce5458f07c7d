// SPDX-License-Identifier: MIT
// LOCUS next to baselines on real evaluations: prediction and routing by number of evaluations, new models, quality
// against cost.
//
//     make reproduce                    runs all that is missing, then writes bench/RESULTS.md and pictures
//     build/reproduce --data DIR        the same on another folder of evaluations (bench/experiments/dataset.h says
//     what is in it)
//
// Every result is a line of build/reproduced/results.csv as soon as it exists, with its sums per query in a file beside
// it; a result that is there is not computed again. Interrupt it at any time. To do something anew, delete its lines
// (and build/nets, if training changed). Several processes may work on one file: each job is locked by the one that
// works on it.
//
// A job fits one method on one set of models from the scores of N training queries, the same ones for all models: the
// first N of a permutation of the training split drawn with (seed), so smaller sets are parts of larger ones; cells
// that are missing stay so. Generator: SplitMix64 and Fisher-Yates, bench/experiments/baselines.h. Validation scores
// only choose hyper-parameters and checkpoints; figures are of the test split.
#if !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#if !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1
#endif

#define LOCUS_IMPLEMENTATION
#include "../../locus.h"

#include "baselines.h"
#include "locus_method.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dataset.h"
#include "figures.h"

enum { NEW_N = 1024, FOLDS = 4, SEEDS = 3, MAX_SETS = 32 };
static const size_t new_sizes[] = {16, 32, 128, 512};
enum { NEW_SIZES = (int)(sizeof new_sizes / sizeof *new_sizes) };

// ------------------------------------------------------------------------------------------------------------ results

// clang-format off
#define VALUES(X)                                                                                                      \
    X(brier) X(prediction) X(bce) X(ece) X(right) X(score) X(oracle_right) X(oracle_score) X(pairs) X(routed) X(aiq)   \
    X(aiq_single) X(priced) X(models) X(queries) X(graded) X(seconds)
#define X(name) V_##name,
typedef enum value_id { VALUES(X) V_COUNT } value_id;
#undef X
#define X(name) #name,
static const char *const value_names[] = { VALUES(X) };
#undef X
// clang-format on

typedef struct result {
    char set[32], experiment[16], method[32];
    size_t anchors, seed, fold, n; // anchors: N; n: evaluations of a new model
    double v[V_COUNT];             // NaN: does not apply
} result;

typedef struct results {
    char path[512];
    result *list;
    size_t count, room;
    long read_to; // bytes of the file that are in the list
} results;

static result result_make(const char *set, const char *experiment, const char *method, size_t anchors, size_t seed,
                          size_t fold, size_t n)
{
    result r;
    snprintf(r.set, sizeof r.set, "%s", set);
    snprintf(r.experiment, sizeof r.experiment, "%s", experiment);
    snprintf(r.method, sizeof r.method, "%s", method);
    r.anchors = anchors;
    r.seed = seed;
    r.fold = fold;
    r.n = n;
    for (size_t i = 0; i < V_COUNT; i++) r.v[i] = (double)NAN;
    return r;
}

static const result *results_find(const results *all, const result *key)
{
    for (size_t i = 0; i < all->count; i++) {
        const result *r = &all->list[i];
        if (r->anchors == key->anchors && r->seed == key->seed && r->n == key->n && r->fold == key->fold &&
            !strcmp(r->set, key->set) && !strcmp(r->experiment, key->experiment) && !strcmp(r->method, key->method))
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

// Takes in what the file has beyond what was read; a line that is not whole is left for the next time.
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
        if (i < 7 || strcmp(field[0], "set") == 0) continue; // heading, or a line of something else
        r = result_make(field[0], field[1], field[2], strtoul(field[3], NULL, 10), strtoul(field[4], NULL, 10),
                        strtoul(field[5], NULL, 10), strtoul(field[6], NULL, 10));
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
        used += (size_t)snprintf(text, room, "set,experiment,method,N,seed,fold,n");
        for (size_t i = 0; i < V_COUNT; i++) used += (size_t)snprintf(text + used, room - used, ",%s", value_names[i]);
        used += (size_t)snprintf(text + used, room - used, "\n");
    } else if (pread(file, &last, 1, end - 1) == 1 && last != '\n') {
        used += (size_t)snprintf(text, room, "\n"); // a line that a full disk or a crash cut off
    }
    for (size_t k = 0; k < count; k++) {
        const result *r = &list[k];
        used += (size_t)snprintf(text + used, room - used, "%s,%s,%s,%u,%u,%u,%u", r->set, r->experiment, r->method,
                                 (unsigned)r->anchors, (unsigned)r->seed, (unsigned)r->fold, (unsigned)r->n);
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

// path <- the file beside the CSV that has a result's sums per query ("rows") or its samples of AIQ ("aiq")
static void result_path(const char *folder, const result *r, const char *what, char path[600])
{
    snprintf(path, 600, "%.300s/%.32s.%.16s.%.32s.%u.%u.%u.%u.%s.npy", folder, r->set, r->experiment, r->method,
             (unsigned)r->anchors, (unsigned)r->seed, (unsigned)r->fold, (unsigned)r->n, what);
    for (char *c = path + strlen(folder); *c; c++)
        if (*c == ' ' || *c == ',' || *c == '(' || *c == ')') *c = '_';
}

// --------------------------------------------------------------------------------------------------------------- sets

static int is_zero_shot(const dataset *d, size_t model) { return d->shots[model] == 0; }

typedef struct evaluation_set { // a folder, or some of its models
    char name[32], title[64], folder[400];
    int (*member)(const dataset *d, size_t model); // NULL: all
    const dataset *d;                              // once it is loaded
    size_t count, members[MAX_POOL];               // rows of the data: its models with 30 % of the cells
} evaluation_set;

static const struct {
    const char *name, *title, *folder;
    int (*member)(const dataset *d, size_t model);
} known_sets[] = {
    {"open26", "MMLU-Pro, open 26", "mmlu-pro", is_open},
    {"all33", "MMLU-Pro, all 33", "mmlu-pro", NULL},
    {"textclass", "TextClass, 107", "textclass", NULL},
    {"lawbench51", "LawBench, zero-shot 51", "lawbench", is_zero_shot},
    {"lawbench102", "LawBench, all 102", "lawbench", NULL},
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void load_sets(evaluation_set *sets, size_t count, const char *cache)
{
    for (size_t k = 0; k < count; k++) {
        evaluation_set *set = &sets[k];
        for (size_t other = 0; other < k; other++)
            if (strcmp(sets[other].folder, set->folder) == 0) set->d = sets[other].d;
        if (!set->d) {
            dataset *d = (dataset *)base_alloc(1, sizeof *d);
            load(d, set->folder, cache, base_name(set->folder));
            set->d = d;
        }
        for (size_t m = 0; m < set->d->models; m++) {
            size_t known = 0;
            for (size_t i = 0; i < set->d->queries; i++)
                known += isnan(set->d->scores[m * set->d->queries + i]) ? 0 : 1;
            if (10 * known >= 3 * set->d->queries && (!set->member || set->member(set->d, m)))
                set->members[set->count++] = m;
        }
        if (set->count < 2) die(set->name, "fewer than two models with 30 % of the cells");
    }
}

// ------------------------------------------------------------------------------------------------------------- a job

typedef enum job_kind { JOB_POOL, JOB_NEW } job_kind;
static const char *const kind_names[] = {"pool", "new"};

typedef struct job {
    job_kind kind;
    const evaluation_set *set;
    const base_method *method;
    size_t anchors, seed, fold;
    double cost; // expected seconds
} job;

typedef struct output { // lines of a job, in the order in which they are written; the last is the job's mark
    result list[64];
    size_t count;
} output;

static const char *row_name(const base_method *m, size_t variant)
{
    return m->variants ? m->variants[variant] : m->name;
}

static result job_mark(const job *j)
{
    return result_make(j->set->name, kind_names[j->kind], row_name(j->method, j->method->variant_count - 1), j->anchors,
                       j->seed, j->fold, j->kind == JOB_NEW ? new_sizes[NEW_SIZES - 1] : 0);
}

// Sets like TextClass have prices: AIQ and its samples.
static void measure_money(const job *j, const float *logits, const float *y, const char *folder, result *r)
{
    const dataset *d = j->set->d;
    const split_rows *test = &d->part[2];
    const size_t n = test->count, shape[2] = {1 + BOOT_COSTS, 2};
    static double out[2 * (1 + BOOT_COSTS)];
    float kept[2 * (1 + BOOT_COSTS)], *cost;
    char path[600];
    locus_error err;
    if (!d->costs) return;
    cost = base_floats(j->set->count * n);
    for (size_t m = 0; m < j->set->count; m++)
        for (size_t i = 0; i < n; i++) cost[m * n + i] = d->costs[j->set->members[m] * d->queries + test->columns[i]];
    r->v[V_priced] = (double)measure_costs(logits, n, j->set->count, y, cost, out);
    free(cost);
    if (r->v[V_priced] < 2.0) return;
    r->v[V_aiq] = out[0];
    r->v[V_aiq_single] = out[1];
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) kept[i] = (float)out[i];
    result_path(folder, r, "aiq", path);
    check(locus_npy_save(path, LOCUS_F32, shape, 2, kept, &err), &err);
}

// Figures of logits [test, models] of the models in this order into a line; prediction figures: from `first` on.
static void measure_line(const job *j, const void *state, const float *logits, const size_t *models, size_t count,
                         size_t first, const char *folder, result *r)
{
    const dataset *d = j->set->d;
    const split_rows *test = &d->part[2];
    const size_t shape[2] = {Q_ROWS, test->count};
    float *y = gather_scores(d, models, count, test->columns, test->count), *rows = base_floats(Q_ROWS * test->count);
    double margin = 0.0;
    const size_t usual = j->method->guard ? j->method->guard(state, &margin) : SIZE_MAX;
    const figures f = measure(logits, test->count, count, y, first, usual, margin, rows);
    char path[600];
    locus_error err;
    result_path(folder, r, "rows", path);
    check(locus_npy_save(path, LOCUS_F32, shape, 2, rows, &err), &err);
    r->v[V_brier] = f.brier;
    r->v[V_prediction] = f.prediction;
    r->v[V_bce] = f.bce;
    r->v[V_ece] = f.ece;
    r->v[V_right] = f.right;
    r->v[V_score] = f.score;
    r->v[V_oracle_right] = f.oracle_right;
    r->v[V_oracle_score] = f.oracle_score;
    r->v[V_pairs] = f.pairs;
    r->v[V_routed] = f.routed;
    r->v[V_models] = (double)count;
    r->v[V_queries] = (double)test->count;
    r->v[V_graded] = d->graded;
    if (j->kind == JOB_POOL) measure_money(j, logits, y, folder, r);
    free(y);
    free(rows);
}

// All rows of a method from its state, n evaluations for each new model. Returns nonzero if it failed.
static int measure_variants(const job *j, void *state, const base_data *b, const size_t *models, size_t first, size_t n,
                            const char *folder, output *o)
{
    const split_rows *test = &j->set->d->part[2];
    const base_queries q = queries_of(test);
    float *logits = base_floats(test->count * j->set->count);
    int failed = 0;
    for (size_t v = 0; v < j->method->variant_count && !failed; v++) {
        result *r = &o->list[o->count++];
        *r = result_make(j->set->name, kind_names[j->kind], row_name(j->method, v), j->anchors, j->seed, j->fold, n);
        failed = j->method->use && j->method->use(state, b, v);
        if (failed) break;
        j->method->predict(state, &q, logits);
        measure_line(j, state, logits, models, j->set->count, first, folder, r);
    }
    free(logits);
    return failed;
}

static int run_pool(const job *j, const char *folder, output *o)
{
    evaluations e;
    base_data b;
    int failed = 1;
    make_evaluations(j->set->d, j->set->members, j->set->count, j->anchors, j->seed, &e, &b);
    void *state = j->method->fit(&b);
    if (state) {
        failed = measure_variants(j, state, &b, j->set->members, 0, 0, folder, o);
        j->method->release(state);
    }
    free_evaluations(&e);
    return failed;
}

// The model's first n evaluations, in the drawn order of the training queries.
static int add_new(const job *j, void *state, size_t model, const size_t *order, size_t n)
{
    const dataset *d = j->set->d;
    const split_rows *train = &d->part[0];
    float *enc = base_floats(n * d->dim), *scores = base_floats(n);
    int32_t *category = (int32_t *)base_alloc(n, sizeof *category);
    base_queries q = {0, enc, category};
    int failed;
    for (size_t i = 0; i < train->count && q.count < n; i++) {
        const float y = d->scores[model * d->queries + train->columns[order[i]]];
        if (isnan(y)) continue;
        memcpy(enc + q.count * d->dim, train->enc + order[i] * d->dim, d->dim * sizeof *enc);
        category[q.count] = train->category[order[i]];
        scores[q.count++] = y;
    }
    failed = j->method->add(state, &q, scores);
    free(enc);
    free(scores);
    free(category);
    return failed;
}

// Fit without a quarter of the models, then add them from few evaluations each, all else frozen.
static int run_new(const job *j, const char *folder, output *o)
{
    const dataset *d = j->set->d;
    const size_t count = j->set->count;
    size_t *order = (size_t *)base_alloc(d->part[0].count, sizeof *order);
    size_t shuffled[MAX_POOL], models[MAX_POOL], old = 0, added = 0;
    uint64_t shuffle = 0xF01D + j->seed;
    evaluations e;
    base_data b;
    int failed = 1;
    for (size_t m = 0; m < count; m++) shuffled[m] = m;
    base_shuffle(shuffled, count, &shuffle);
    for (size_t pass = 0; pass < 2; pass++) // the old ones first
        for (size_t m = 0; m < count; m++)
            if ((m % FOLDS == j->fold) == (pass == 1))
                models[pass ? old + added++ : old++] = j->set->members[shuffled[m]];
    draw_anchors(d, j->seed, order);
    make_evaluations(d, models, old, j->anchors, j->seed, &e, &b);
    void *state = j->method->fit(&b);
    if (state) {
        failed = 0;
        for (size_t size = 0; size < NEW_SIZES && !failed; size++) {
            j->method->truncate(state, old);
            for (size_t m = old; m < count && !failed; m++)
                failed = add_new(j, state, models[m], order, new_sizes[size]);
            if (!failed) failed = measure_variants(j, state, &b, models, old, new_sizes[size], folder, o);
        }
        j->method->release(state);
    }
    free_evaluations(&e);
    free(order);
    return failed;
}

// ------------------------------------------------------------------------------------------------------- list of jobs

typedef struct settings {
    const char *root, *folder, *work, *only, *methods, *sets; // lists separated by commas; NULL: all
    size_t sizes[16], size_count, seeds, processes;
    int report;
} settings;

typedef struct job_list {
    job *list;
    size_t count, room;
} job_list;

// Is the name in the list? part: it is enough that an entry is part of it.
static int listed(const char *list, const char *name, int part)
{
    char copy[256], *at = copy, *field;
    if (!list) return 1;
    snprintf(copy, sizeof copy, "%.255s", list);
    while ((field = next_field(&at)) != NULL)
        if (*field && (part ? strstr(name, field) != NULL : strcmp(name, field) == 0)) return 1;
    return 0;
}

static void add_job(job_list *jobs, const settings *s, job_kind kind, const evaluation_set *set, const base_method *m,
                    size_t anchors, size_t seed, size_t fold)
{
    job *j;
    if (!listed(s->only, kind_names[kind], 0) || !listed(s->methods, m->name, 1)) return;
    if (jobs->count == jobs->room) {
        jobs->room = 2 * jobs->room + 256;
        jobs->list = (job *)realloc(jobs->list, jobs->room * sizeof *jobs->list);
        if (!jobs->list) die("memory", "not enough");
    }
    j = &jobs->list[jobs->count++];
    j->kind = kind;
    j->set = set;
    j->method = m;
    j->anchors = anchors;
    j->seed = seed;
    j->fold = fold;
    j->cost = 0.0;
}

static const base_method *method_at(size_t i)
{
    if (i == 0) return locus_method();
    return i - 1 < (size_t)BASE_METHODS ? &base_methods[i - 1] : NULL;
}

// New models: those for which a rival of the issue exists.
static int knows_new(const base_method *m) { return strcmp(m->name, "EmbedLLM") != 0; }

// Seconds of a processor that a job takes: as long as the same took before, else a guess.
static double expected_cost(const results *all, const job *j)
{
    const result mark = job_mark(j);
    const double pairs = (double)(j->anchors * j->set->count);
    double sum = 0.0, count = 0.0;
    for (size_t i = 0; i < all->count; i++) {
        const result *r = &all->list[i];
        if (isnan(r->v[V_seconds]) || r->anchors != j->anchors || strcmp(r->method, mark.method) != 0 ||
            strcmp(r->set, mark.set) != 0 || strcmp(r->experiment, mark.experiment) != 0)
            continue;
        sum += r->v[V_seconds];
        count += 1.0;
    }
    if (count > 0.0) return sum / count;
    if (strcmp(j->method->name, "LOCUS") == 0) return 20.0 + pairs / 1500.0;
    return strcmp(j->method->name, "EmbedLLM") == 0 ? 10.0 : 1.0 + pairs / 50000.0;
}

static int dearer_first(const void *a, const void *b)
{
    const job *x = (const job *)a, *y = (const job *)b;
    return (x->cost < y->cost) - (x->cost > y->cost);
}

// A size that the training split has not is left out, but up to 1,024 the whole split stands in for it.
static void list_jobs(job_list *jobs, const settings *s, const evaluation_set *sets, size_t count)
{
    const base_method *m;
    for (size_t k = 0; k < count; k++) {
        const size_t most = sets[k].d->part[0].count;
        for (size_t i = 0; (m = method_at(i)) != NULL; i++) {
            size_t last = 0;
            for (size_t size = 0; size < s->size_count; size++) {
                const size_t n = s->sizes[size] > most && s->sizes[size] <= 1024 ? most : s->sizes[size];
                if (n > most || n == last) continue;
                for (size_t seed = 0; seed < s->seeds; seed++) add_job(jobs, s, JOB_POOL, &sets[k], m, n, seed, 0);
                last = n;
            }
            for (size_t f = 0; f < FOLDS && knows_new(m); f++)
                add_job(jobs, s, JOB_NEW, &sets[k], m, most < NEW_N ? most : NEW_N, 0, f);
        }
    }
}

// Locks one byte of a file for this job, till the process ends or unlocks: nobody else works on it meanwhile.
static int lock_job(int file, const job *j, int on)
{
    const result mark = job_mark(j);
    uint64_t h = 0xCBF29CE484222325u ^ (mark.anchors * 8191 + mark.seed * 64 + mark.fold);
    const char *const parts[] = {mark.set, mark.experiment, mark.method};
    struct flock lock;
    for (size_t i = 0; i < 3; i++)
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

static void work(job_list *jobs, results *all, const settings *s)
{
    static output o;
    const double start = now();
    char path[600];
    int file;
    snprintf(path, sizeof path, "%.500s.lock", all->path);
    file = open(path, O_RDWR | O_CREAT, 0666);
    if (file < 0) die(path, strerror(errno));
    for (size_t i = 0; i < jobs->count; i++) {
        const job *j = &jobs->list[i];
        const result mark = job_mark(j);
        if (results_find(all, &mark) || lock_job(file, j, 1) != 0) continue;
        results_read(all);
        if (!results_find(all, &mark)) {
            double left = 0.0, took = processor_seconds();
            size_t done = 0;
            char spent[16], remaining[16];
            o.count = 0;
            if (j->kind == JOB_POOL ? run_pool(j, s->work, &o) : run_new(j, s->work, &o)) {
                fprintf(stderr, "skipped: %s %s %s N %u\n", mark.set, mark.experiment, mark.method,
                        (unsigned)mark.anchors);
                lock_job(file, j, 0);
                continue;
            }
            took = processor_seconds() - took;
            o.list[o.count - 1].v[V_seconds] = took;
            results_append(all, o.list, o.count);
            results_read(all);
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
            fprintf(stderr,
                    "[%u/%u] %-11s %-4s %-21s N %-4u seed %u fold %u  Brier %.4f  prediction %5.2f  routing %5.2f  "
                    "(%.1f s; elapsed %s, about %s left)\n",
                    (unsigned)done, (unsigned)jobs->count, mark.set, mark.experiment, j->method->name,
                    (unsigned)mark.anchors, (unsigned)mark.seed, (unsigned)mark.fold, o.list[0].v[V_brier],
                    100.0 * o.list[0].v[V_prediction], 100.0 * o.list[0].v[V_right], took, spent, remaining);
        }
        lock_job(file, j, 0);
    }
    close(file);
}

#include "report.h"

static void usage(FILE *f)
{
    fprintf(f,
            "usage: build/reproduce [options]      (from the project's root)\n"
            "  --report           only write the tables and pictures from what is there\n"
            "  --data DIR         this folder of evaluations and not the development sets; may be repeated\n"
            "  --sets A,B,...     only these: open26, all33, textclass, lawbench51, lawbench102, or a folder's name\n"
            "  --methods A,B,...  only those whose names have one of these in them;  --only pool|new\n"
            "  --sizes A,B,...    these numbers of evaluations (64,256,1024,4096)\n"
            "  --seeds S          draws of the evaluations (3)    --processes P   that many at a time (2)\n"
            "  --root DIR         of the development sets (../shared/data)\n"
            "  --work DIR         of what was computed (build/reproduced)    --out DIR   of the report (bench; with "
            "--data the work's)\n"
            "  --selftest         check figures and baselines on cases worked out in another way\n");
}

static size_t parse_sizes(const char *text, size_t sizes[16])
{
    size_t count = 0;
    char *end;
    for (; *text && count < 16; text = *end ? end + 1 : end) {
        sizes[count] = strtoul(text, &end, 10);
        if (end == text || (*end && *end != ',') || sizes[count] == 0) die("--sizes", "expected numbers and commas");
        if (count && sizes[count] <= sizes[count - 1]) die("--sizes", "expected ascending numbers");
        count++;
    }
    return count;
}

static void add_set(evaluation_set *sets, size_t *count, const char *name, const char *title, const char *root,
                    const char *folder, int (*member)(const dataset *d, size_t model))
{
    evaluation_set *set = &sets[*count];
    if (*count == MAX_SETS) die(folder, "too many sets");
    snprintf(set->name, sizeof set->name, "%.31s", name);
    for (char *c = set->name; *c; c++)
        if (*c == ',') *c = '_'; // the CSV's own
    snprintf(set->title, sizeof set->title, "%.63s", title);
    snprintf(set->folder, sizeof set->folder, "%.200s%s%.150s", root, *root ? "/" : "", folder);
    set->member = member;
    for (size_t k = 0; k < *count; k++)
        if (strcmp(sets[k].name, set->name) == 0) die(set->name, "two sets of one name");
    ++*count;
}

static void parse(settings *s, evaluation_set *sets, size_t *count, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(a, "--help") == 0) {
            usage(stdout);
            exit(0);
        } else if (strcmp(a, "--selftest") == 0) {
            const int failures = base_selftest() + figures_selftest();
            printf("figures and baselines: %d failures\n", failures);
            exit(failures ? 1 : 0);
        } else if (strcmp(a, "--report") == 0) {
            s->report = 1;
            continue;
        } else if (!value) {
            usage(stderr);
            exit(2);
        } else if (strcmp(a, "--data") == 0) {
            char folder[256];
            snprintf(folder, sizeof folder, "%.255s", value);
            while (strlen(folder) > 1 && folder[strlen(folder) - 1] == '/') folder[strlen(folder) - 1] = '\0';
            add_set(sets, count, base_name(folder), base_name(folder), "", folder, NULL);
        } else if (strcmp(a, "--sizes") == 0) {
            s->size_count = parse_sizes(value, s->sizes);
        } else if (strcmp(a, "--seeds") == 0) {
            s->seeds = strtoul(value, NULL, 10);
        } else if (strcmp(a, "--processes") == 0) {
            s->processes = strtoul(value, NULL, 10);
        } else if (strcmp(a, "--only") == 0) {
            s->only = value;
        } else if (strcmp(a, "--methods") == 0) {
            s->methods = value;
        } else if (strcmp(a, "--sets") == 0) {
            s->sets = value;
        } else if (strcmp(a, "--root") == 0) {
            s->root = value;
        } else if (strcmp(a, "--work") == 0) {
            s->work = value;
        } else if (strcmp(a, "--out") == 0) {
            s->folder = value;
        } else {
            usage(stderr);
            exit(2);
        }
        i++;
    }
    if (s->processes < 1 || s->processes > 64) die("--processes", "1 to 64");
    if (s->seeds < 1 || s->seeds > SEEDS_MOST) die("--seeds", "1 to 16");
}

int main(int argc, char **argv)
{
    static job_list jobs;
    static results all;
    static settings s;
    static evaluation_set sets[MAX_SETS], chosen[MAX_SETS];
    size_t count = 0, kept = 0;
    s.root = "../shared/data";
    s.work = "build/reproduced";
    s.size_count = parse_sizes("64,256,1024,4096", s.sizes);
    s.seeds = SEEDS;
    s.processes = 2;
    parse(&s, sets, &count, argc, argv);
    if (!s.folder) s.folder = count ? s.work : "bench"; // bench/RESULTS.md is of the development sets
    if (count == 0)
        for (size_t k = 0; k < sizeof known_sets / sizeof *known_sets; k++)
            add_set(sets, &count, known_sets[k].name, known_sets[k].title, s.root, known_sets[k].folder,
                    known_sets[k].member);
    for (size_t k = 0; k < count; k++)
        if (listed(s.sets, sets[k].name, 0)) chosen[kept++] = sets[k];
    if (kept == 0) die("--sets", "no such set");
    mkdir("build", 0777);
    mkdir(s.work, 0777);
    openblas_set_num_threads(1); // processes run side by side instead
    snprintf(all.path, sizeof all.path, "%.480s/results.csv", s.work);
    results_read(&all);
    if (!s.report) {
        pid_t children[64];
        size_t forked = 0;
        int failed = 0, status;
        load_sets(chosen, kept, s.work);
        list_jobs(&jobs, &s, chosen, kept);
        for (size_t i = 0; i < jobs.count; i++) jobs.list[i].cost = expected_cost(&all, &jobs.list[i]);
        qsort(jobs.list, jobs.count, sizeof *jobs.list,
              dearer_first); // so that both processes end at about the same time
        while (forked + 1 < s.processes) {
            const pid_t child = fork();
            if (child < 0) break;
            if (child == 0) {
                work(&jobs, &all, &s);
                exit(0);
            }
            children[forked++] = child;
        }
        work(&jobs, &all, &s);
        for (size_t i = 0; i < forked; i++) failed |= waitpid(children[i], &status, 0) < 0 || status != 0;
        if (failed) die("a worker", "failed; what it finished is kept");
        results_read(&all);
    }
    return report(&all, sets, count, &s);
}
