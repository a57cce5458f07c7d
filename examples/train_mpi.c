// SPDX-License-Identifier: MIT
// Data-parallel training: `locus train` over several processes, on one machine or many, with MPI.
//
//     mpicc -O2 examples/train_mpi.c -o build/train_mpi -lm
//     mpirun -np 4 build/train_mpi --encodings Q.npy --scores Y.npy --out NET.safetensors
//
// Flags as those of `locus train`: --split S.npy (0 train, 1 validation; default: all train), --recipe best|paper,
// --epochs E, --seed S. Process k of n makes the gradients of the models m with m % n == k. Every process draws the
// same subsets and the same noise, and its share of the gradient is of the loss over all models; so the sum of the
// shares is the gradient that one process would have had (to rounding: only the order of the sum differs), and because
// all apply the same sum to the same weights, the weights stay the same everywhere without being sent. All files must
// be readable by all processes; only process 0 writes.

#define LOCUS_IMPLEMENTATION
#include "../locus.h"
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct job {
    const char *encodings, *scores, *split, *out;
    locus_train_opts opts;
    int rank, processes;
} job;

static locus_error err;
static locus_array encodings, scores, split;
static locus_trainer *trainer;
static float *queries, *grades;
static size_t *rows;

static int fail(const char *message)
{
    fprintf(stderr, "train_mpi: %s\n", message);
    return 1;
}

// MPI counts in int: long arrays go in pieces.
static int add_up(void *user, const locus_gradient *g)
{
    const size_t piece = (size_t)1 << 28;
    (void)user;
    if (MPI_Allreduce(MPI_IN_PLACE, g->loss, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD) != MPI_SUCCESS) return 1;
    for (size_t at = 0; at < g->count; at += piece) {
        int n = (int)(g->count - at < piece ? g->count - at : piece);
        if (MPI_Allreduce(MPI_IN_PLACE, g->gradient + at, n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD) != MPI_SUCCESS)
            return 1;
    }
    return 0;
}

static int report(void *user, const locus_epoch *e)
{
    const job *j = (const job *)user;
    double range[2] = {e->gradient_norm, -e->gradient_norm};
    if (MPI_Allreduce(MPI_IN_PLACE, range, 2, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD) != MPI_SUCCESS) return 1;
    if (range[0] > -range[1] || range[0] < -range[1]) return fail("the processes have different gradients");
    if (j->rank != 0) return 0;
    printf("epoch %zu of %zu: loss %.6f, gradient %.6f", e->epoch, e->epochs, e->loss, e->gradient_norm);
    if (e->evaluated)
        printf(", validation hit@1 %.2f %% BCE %.6f%s", 100.0 * e->metrics.hit1, e->metrics.bce, e->best ? " *" : "");
    printf("\n");
    fflush(stdout);
    return 0;
}

static int load(const job *j, locus_train_data *data)
{
    if (locus_npy_open(&encodings, j->encodings, &err) || locus_npy_open(&scores, j->scores, &err) ||
        (j->split && locus_npy_open(&split, j->split, &err)))
        return fail(err.message);
    size_t n = encodings.shape[0];
    if (encodings.rank != 2) return fail("--encodings: expected [queries, q_dim]");
    if (scores.rank != 2 || scores.shape[1] != n) return fail("--scores: expected [models, queries of --encodings]");
    if (j->split && (split.dtype != LOCUS_U8 || split.count != n))
        return fail("--split: expected u1, one number for each query");

    queries = (float *)malloc((encodings.count + 1) * sizeof *queries);
    rows = (size_t *)malloc((2 * n + 1) * sizeof *rows);
    if (!queries || !rows) return fail("out of memory");
    if (locus_array_to_f32(&encodings, 0, encodings.count, queries, &err)) return fail(err.message);
    data->evals.queries.encodings = queries;
    data->evals.queries.count = n;
    data->evals.queries.dim = encodings.shape[1];
    data->evals.scores.models = scores.shape[0];
    if (scores.dtype == LOCUS_U8) {
        data->evals.scores.u8 = (const unsigned char *)scores.data;
    } else {
        grades = (float *)malloc((scores.count + 1) * sizeof *grades);
        if (!grades) return fail("out of memory");
        if (locus_array_to_f32(&scores, 0, scores.count, grades, &err)) return fail(err.message);
        data->evals.scores.f32 = grades;
    }
    for (size_t i = 0; i < n; ++i) {
        int part = j->split ? ((const unsigned char *)split.data)[i] : 0;
        if (part == 0) rows[data->train_count++] = i;
        if (part == 1) rows[n + data->validation_count++] = i;
    }
    data->train = rows;
    data->validation = rows + n;
    return 0;
}

static int run(job *j)
{
    locus_train_data data;
    memset(&data, 0, sizeof data);
    j->opts.part = (size_t)j->rank;
    j->opts.parts = (size_t)j->processes;
    j->opts.on_gradient = add_up;
    j->opts.on_epoch = report;
    j->opts.user = j;
    if (load(j, &data)) return 1;
    if (locus_train_create(&trainer, &data, &j->opts, &err)) return fail(err.message);
    if (locus_train_run(trainer, &err)) return fail(err.message);
    if (j->rank == 0 && locus_train_save(trainer, j->out, &err)) return fail(err.message);
    if (j->rank == 0) printf("written: %s, trained by %d processes\n", j->out, j->processes);
    return 0;
}

static int parse(job *j, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const char *flag = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!value) return 1;
        if (!strcmp(flag, "--encodings")) j->encodings = value;
        else if (!strcmp(flag, "--scores")) j->scores = value;
        else if (!strcmp(flag, "--split")) j->split = value;
        else if (!strcmp(flag, "--out")) j->out = value;
        else if (!strcmp(flag, "--epochs")) j->opts.epochs = strtoul(value, NULL, 10);
        else if (!strcmp(flag, "--seed")) j->opts.seed = strtoul(value, NULL, 10);
        else if (!strcmp(flag, "--recipe") && !strcmp(value, "best")) j->opts.recipe = LOCUS_RECIPE_BEST;
        else if (!strcmp(flag, "--recipe") && !strcmp(value, "paper")) j->opts.recipe = LOCUS_RECIPE_PAPER;
        else return 1;
    }
    return !j->encodings || !j->scores || !j->out;
}

int main(int argc, char **argv)
{
    job j;
    memset(&j, 0, sizeof j);
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &j.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &j.processes);
    int status = 2;
    if (!parse(&j, argc, argv)) status = run(&j);
    else if (j.rank == 0)
        fprintf(stderr, "usage: train_mpi --encodings Q.npy --scores Y.npy [--split S.npy] [--recipe best|paper] "
                        "[--epochs E] [--seed S] --out NET.safetensors\n");
    locus_train_destroy(trainer);
    free(grades);
    free(queries);
    free(rows);
    locus_array_close(&split);
    locus_array_close(&scores);
    locus_array_close(&encodings);
    if (status == 1) MPI_Abort(MPI_COMM_WORLD, status); // others may wait for this process
    MPI_Finalize();
    return status;
}
