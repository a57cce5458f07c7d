// SPDX-License-Identifier: MIT
// What pictures are drawn with. Drawings know nothing of pools: numbers and names in, text out.
#ifndef LOCUS_PICTURES_H
#define LOCUS_PICTURES_H

#include "locus_tool.h"

enum { HUES = 8, SHADES = 24, NAME_COLUMNS = 44 };

typedef struct axis {
    double low, high, step; // values
    double from, to;        // places
    int percent;
} axis;

typedef struct box {
    double left, top, right, bottom;
} box;

typedef struct labels { // what is taken in one panel
    box frame, *taken;
    size_t count, capacity;
} labels;

typedef enum label_kind { NO_LABEL, NAME_LABEL, NUMBER_LABEL } label_kind;

typedef struct placed { // a label
    label_kind kind;
    double x, y, end_x, end_y; // of the text; of the leader to it
    int side, leader;          // side: -1 the text ends there, 0 it is centred, 1 it begins there
} placed;

// Entries one after another, in rows.
typedef struct legend {
    FILE *f; // NULL: only measure
    double left, right, x, y;
} legend;

typedef struct map_picture {
    const char *title, *note;
    size_t n;
    const char *const *names;
    const float *principal, *map; // [n, 2]
    double share[2];              // of the variance, of the two components
    const size_t *group;          // [n]
    size_t groups;
    const char *const *group_names;
    size_t centre;        // a model to stand out, or SIZE_MAX
    const size_t *nearby; // and its neighbours
    size_t nearby_count;
} map_picture;

typedef struct tree_picture {
    const char *title, *note, *metric;
    size_t n;
    const char *const *names;
    const locus_merge *merges; // [n - 1]
    const size_t *order;       // [n]: leaves from top to bottom
    const size_t *group;       // [n]
    double cut;                // height at which it is cut
    const float *cells;        // [cell_count, cell_count] mean distances of the leaves in each cell, in that order
    size_t cell_count;         // at most n
    const char *const *group_names;
    size_t groups;
} tree_picture;

typedef struct curve {
    const char *name;
    const double *values; // for 1, 2, ... models; NaN: none
    int hue, dashed;
} curve;

typedef struct curve_picture {
    const char *title, *note, *y_name;
    const curve *curves;
    size_t curve_count, n; // n: values of each
    size_t chosen;         // models in the portfolio that is listed; 0: none
    const char *const *names;
    const double *values; // of the first 1, 2, ... of them
} curve_picture;

typedef struct reliability_picture {
    const char *title, *note;
    const locus_bin *before, *after;
    size_t bins;
    double ece_before, ece_after;
} reliability_picture;

typedef struct pair_mark { // a pair to stand out
    double x, y;
    const char *text;
} pair_mark;

typedef struct scatter_picture {
    const char *title, *note, *x_name, *y_name;
    const double *x, *y; // [n]
    size_t n;
    const pair_mark *marks;
    size_t mark_count;
} scatter_picture;

// svg.c
int save_picture(session *s, drawing draw, const void *picture, const char *title);
int wants_picture(const session *s);
void mention_pictures(const session *s);
void xml_text(FILE *f, const char *text);
double text_room(const char *text);
const char *short_name(const char *name, char text[4 * NAME_COLUMNS + 8]);
void shade(FILE *f, int level, int dark);
void svg_open(FILE *f, double width, double height, const char *title, int shades);
void svg_close(FILE *f);
void svg_text(FILE *f, double x, double y, const char *class_names, const char *anchor, const char *text);
void svg_heading(FILE *f, const char *title, const char *note);
void svg_mark(FILE *f, double x, double y, double r, size_t group, const char *extra, const char *title);
axis make_axis(double low, double high, int ticks, double from, double to, int percent, int tight);
double axis_at(const axis *a, double value);
const char *tick_text(const axis *a, double value, char text[32]);
void svg_axes(FILE *f, const axis *x, const axis *y, const char *x_name, const char *y_name);
void take_box(labels *l, box b);
int place_label(labels *l, double x, double y, double r, double size, const char *text, placed *out);
void svg_label(FILE *f, const placed *p, double x, double y, double size, const char *class_names, const char *text);
void legend_entry(legend *l, size_t group, const char *text);

// layout.c
int principal_components(const float *rows, size_t n, size_t dim, size_t stride, float *xy, double *share);
int layout_map(const float *distances /*[n,n]*/, size_t n, float *xy /*[n,2]*/);

// pictures.c
int save_scatter(session *s, const sample *x, const pairs *p, const pair_mark *marks, size_t mark_count);
int save_map(session *s, const sample *x, const view *v, size_t centre, const locus_neighbour *nearest, size_t k);
void draw_tree(FILE *f, const void *picture);
void draw_curves(FILE *f, const void *picture);
void draw_reliability(FILE *f, const void *picture);

#endif
