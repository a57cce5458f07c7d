// SPDX-License-Identifier: MIT
// What eval.c and frontier.c share.

#ifndef LOCUS_EVAL_H
#define LOCUS_EVAL_H

#include "locus_tool.h"

// An evaluation: what was asked of the pool, what came of it.
typedef struct replay {
    locus_scores g;           // of the pool's models, all queries
    size_t models, n, *use;   // queries in use: those with a candidate
    size_t trained, *train;   // training queries; 0: not known
    size_t missing, left_out; // cells without a score before, queries without a candidate
    double missing_share;
    int graded; // 1: some scores are neither 0 nor 1
    categories category;
    unsigned char *candidate; // [n, models]
    size_t *leaders;          // [models] best first
    double *means;            // [models] what they are ordered by
    locus_among among;
    costs c;          // of the queries in use
    double *own_cost; // [models] the pool's
    locus_route_opts rules;
    const float *logits;         // [n, models]
    const locus_choice *choices; // [n]
    double mean_cost[2];         // of the router, of the leader; NaN: not all are known
    locus_interval right, score; // router less leader
    int priced;                  // 1: there is a frontier
    locus_frontier frontier;
    locus_frontier_point *points;
    locus_single *singles;   // [models]
    locus_zero_corner *zero; // corners, from the cheapest
} replay;

double cost_at(const replay *r, size_t i, size_t model);
void print_points(const char *before, const locus_interval *x, const char *unit); // "+1.20 (+0.30 to +2.10)"
void open_frontier(replay *r);                                                    // compute what these show, draw it
void print_frontier(const replay *r);
void json_frontier(const replay *r);

#endif
