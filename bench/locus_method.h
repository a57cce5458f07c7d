// SPDX-License-Identifier: MIT
// LOCUS as one more method of bench/baselines.h: included by bench/reproduce.c after locus.h and baselines.h.
#ifndef LOCUS_METHOD_H
#define LOCUS_METHOD_H

typedef struct locus_state {
    size_t models; // fitted and added
} locus_state;

// Train a net on d->enc, d->scores (the anchors), checkpoints chosen on d->val_*; embed the pool from the anchors.
static void *locus_fit(const base_data *d)
{
    (void)d;
    return NULL; // not written yet: the jobs are skipped
}

// logits[n, models]
static void locus_method_predict(const void *state, const float *enc, size_t n, float *logits)
{
    (void)state;
    (void)enc;
    (void)n;
    (void)logits;
}

// Embed one more model from its n evaluations (255 = missing) and append it; nothing else changes.
static int locus_add(void *state, const float *enc, const unsigned char *scores, size_t n, uint64_t seed)
{
    (void)state;
    (void)enc;
    (void)scores;
    (void)n;
    (void)seed;
    return 1;
}

static void locus_truncate(void *state, size_t models)
{
    locus_state *s = (locus_state *)state;
    if (models < s->models) s->models = models;
}

static size_t locus_method_embedding(const void *state, size_t model, float *out)
{
    (void)state;
    (void)model;
    (void)out;
    return 128;
}

static void locus_release(void *state) { free(state); }

// The first is the one that the targets are measured on; more rows (the paper's recipe, ablations) may follow.
static const base_method locus_methods[] = {
    {"LOCUS", locus_fit, locus_method_predict, locus_add, locus_truncate, locus_method_embedding, locus_release},
};
enum { LOCUS_METHODS = (int)(sizeof locus_methods / sizeof *locus_methods) };

#endif
