// SPDX-License-Identifier: MIT
// What pictures are drawn with: SVG, its parts (svg.c), places of points (layout.c), the pictures (pictures.c).
// Drawings know nothing of pools: numbers and names in, text out.

#ifndef LOCUS_PICTURES_H
#define LOCUS_PICTURES_H

#include "locus_tool.h"

// ------------------------------------------------------------------------------------------------------ parts (svg.c)

enum { HUES = 8, SHADES = 24, NAME_COLUMNS = 44 };

typedef void (*drawing)(FILE *f, const void *picture);
void save_picture(drawing draw, const void *picture, const char *title); // --svg and --html, if they are given
int wants_picture(void);
void mention_pictures(void); // where they went, under the table

void xml_text(FILE *f, const char *text);
double text_room(const char *text);       // width at font size 1, rather too large: nobody knows the reader's font
const char *short_name(const char *name); // at most NAME_COLUMNS characters of it
void svg_open(FILE *f, double width, double height, const char *title, const char *note, int shades);
void svg_close(FILE *f);
void svg_text(FILE *f, double x, double y, const char *class_names, const char *anchor, const char *text);
// The mark of a group: hue, then form, so that 32 groups differ; title NULL: none.
void svg_mark(FILE *f, double x, double y, double r, size_t group, const char *extra, const char *title);

typedef struct axis {
    double low, high, step; // values; logarithms to base 10 of them if logarithmic
    double from, to;        // places
    int percent, logarithmic;
} axis;

// An axis over [low, high] with about `ticks` round ticks; tight: no wider than the values.
axis make_axis(double low, double high, int ticks, double from, double to, int percent, int tight);
axis range_axis(const double *values, size_t n, int ticks, double from, double to, int percent); // over the finite ones
double axis_at(const axis *a, double value);                                                     // its place

double axis_first(const axis *a); // the first k whose multiple of the step is on it
int axis_has(const axis *a, double k);
const char *tick_text(const axis *a, double value);
void svg_axes(FILE *f, const axis *x, const axis *y, const char *x_name, const char *y_name); // y->from is the bottom
// A line through the points that are finite.
void svg_line(FILE *f, const char *class_names, const axis *x, const axis *y, const double *xs, const double *ys,
              size_t n);

typedef struct box {
    double left, top, right, bottom;
} box;

typedef struct labels { // what is taken in one panel
    box frame, *taken;
    size_t count, capacity;
} labels;

typedef struct placed {        // a label
    double x, y, end_x, end_y; // of the text; of the leader to it
    int side, leader;          // side: -1 the text ends there, 0 it is centred, 1 it begins there
} placed;

labels make_labels(double left, double top, double right, double bottom, size_t capacity);
void take_place(labels *l, double x, double y, double r);
// Find room for the text beside the point, farther off if need be. 0: there is none.
int place_label(labels *l, double x, double y, double r, double size, const char *text, placed *out);
void svg_label(FILE *f, const placed *p, double x, double y, double size, const char *class_names, const char *text);

typedef struct legend { // entries one after another, in rows
    FILE *f;            // NULL: only measure
    double left, right, x, y;
} legend;

void legend_entry(legend *l, size_t group, const char *text);
double draw_legend(FILE *f, double left, double right, double y, const char *const *names, size_t count); // its last y

// ------------------------------------------------------------------------------------------------ places (layout.c)

// xy[n, 2] <- the rows' first two principal components; share[2] <- of the variance.
void principal_components(const locus_points *points, float *xy, double *share);
void layout_map(const float *distances, size_t n, float *xy); // xy[n, 2] <- a map that keeps neighbours together

// -------------------------------------------------------------------------------------------- pictures (pictures.c)

typedef struct map_picture {
    const char *title, *note;
    size_t n;
    const char *const *names;
    const float *principal, *map; // [n, 2]
    double share[2];              // of the variance, of the two components
    const clustering *clusters;
    size_t centre;                 // a model to stand out, or SIZE_MAX
    const locus_neighbour *nearby; // and its neighbours
    size_t nearby_count;
} map_picture;

typedef struct tree_picture {
    const char *title, *note, *metric;
    size_t n;
    const char *const *names;
    const clustering *clusters;
    const float *cells; // [cell_count, cell_count] mean distances of the leaves in each cell, in their order
    size_t cell_count;  // at most n
} tree_picture;

typedef struct curve {
    const char *name;
    const double *values; // NaN: none
    int hue, dashed;
} curve;

typedef struct curve_picture { // for 1, 2, ... n models
    const char *title, *note, *y_name;
    const curve *curves;
    size_t curve_count, n;
    size_t chosen; // models in the portfolio that is listed; 0: none
    const char *const *names;
    const double *values; // of the first 1, 2, ... of them
} curve_picture;

typedef struct course_picture { // of a training: two panels of two curves
    const double *epoch;
    size_t n;
    curve curves[2][2];
} course_picture;

typedef struct reliability_picture {
    const char *title, *note;
    const locus_bin *bins[2]; // before, after
    size_t count;
    double ece[2];
} reliability_picture;

typedef struct pair_mark { // a pair to stand out
    double x, y;
    const char *text;
} pair_mark;

typedef struct scatter_picture {
    const char *title, *note, *x_name, *y_name;
    double *x, *y; // [n]
    size_t n;
    const pair_mark *marks;
    size_t mark_count;
} scatter_picture;

void draw_map(FILE *f, const void *picture);
void draw_tree(FILE *f, const void *picture);
void draw_curves(FILE *f, const void *picture);
void draw_course(FILE *f, const void *picture);
void draw_reliability(FILE *f, const void *picture);
void draw_scatter(FILE *f, const void *picture);

#endif
