// SPDX-License-Identifier: MIT
// Pictures: map, dendrogram with heat map, curves of portfolios and of a training, reliability, scatter of pairs.

#include "pictures.h"

// ----------------------------------------------------------------------------------------------------- map of the pool

enum { MOST_NAMES = 600 }; // nobody reads more

typedef enum label_kind { NO_LABEL, NAME_LABEL, NUMBER_LABEL } label_kind;

typedef struct map_panel { // one of the two
    double left, r, size;
    double *x, *y; // [n] places of the models
    placed *spot;  // [n]
    label_kind *kind;
} map_panel;

enum { MAP_TOP = 84, MAP_WIDTH = 608, MAP_HEIGHT = 610 };

static int is_nearby(const map_picture *p, size_t i)
{
    for (size_t k = 0; p->centre != SIZE_MAX && k < p->nearby_count; ++k)
        if (p->nearby[k].index == i) return 1;
    return p->centre == i;
}

static const char *map_text(const map_picture *p, size_t i, label_kind kind)
{
    return kind == NUMBER_LABEL ? phrase("%zu", i + 1) : short_name(p->names[i]);
}

// Where points and labels go: the names of the centre and its neighbours, then all others where they fit, then numbers.
static map_panel place_map(const map_picture *p, const float *xy, double left)
{
    const size_t n = p->n;
    map_panel m = {.left = left,
                   .r = n <= 150   ? 4.5
                        : n <= 600 ? 3.0
                                   : 2.0,
                   .size = n <= 40 ? 11.0 : 9.5,
                   .x = take(n, sizeof(double)),
                   .y = take(n, sizeof(double)),
                   .spot = take(n, sizeof(placed)),
                   .kind = take(n, sizeof(label_kind))};
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    labels l = make_labels(left + 3, MAP_TOP + 3, left + MAP_WIDTH - 3, MAP_TOP + MAP_HEIGHT - 3, 2 * n + 2);
    for (size_t i = 0; i < 2 * n; ++i) {
        low[i % 2] = fmin(low[i % 2], (double)xy[i]);
        high[i % 2] = fmax(high[i % 2], (double)xy[i]);
    }
    const axis x = make_axis(low[0], high[0], 5, left + 30, left + MAP_WIDTH - 30, 0, 1);
    const axis y = make_axis(low[1], high[1], 5, MAP_TOP + MAP_HEIGHT - 24, MAP_TOP + 24, 0, 1);
    for (size_t i = 0; i < n; ++i) {
        m.x[i] = axis_at(&x, (double)xy[2 * i]);
        m.y[i] = axis_at(&y, (double)xy[2 * i + 1]);
        take_place(&l, m.x[i], m.y[i], m.r + 1);
    }
    for (int pass = 0; pass < 3 && n <= MOST_NAMES; ++pass)
        for (size_t i = 0; i < n; ++i) {
            const label_kind kind = pass == 2 ? NUMBER_LABEL : NAME_LABEL;
            if (m.kind[i] || (pass == 0 && !is_nearby(p, i))) continue;
            if (place_label(&l, m.x[i], m.y[i], m.r + (pass == 0 ? 3.0 : 0.0), m.size + (pass == 0),
                            map_text(p, i, kind), &m.spot[i]))
                m.kind[i] = kind;
        }
    return m;
}

static void draw_map_panel(FILE *f, const map_picture *p, const map_panel *m, const char *title)
{
    svg_text(f, m->left, MAP_TOP - 9, "panel", "", title);
    fprintf(f, "<rect class='grid' x='%.1f' y='%d' width='%d' height='%d'/>\n", m->left, MAP_TOP, MAP_WIDTH,
            MAP_HEIGHT);
    for (size_t i = 0; i < p->n && p->centre != SIZE_MAX; ++i)
        if (is_nearby(p, i))
            fprintf(f, "<path class='axis' d='M%.1f %.1fL%.1f %.1f'/>\n", m->x[p->centre], m->y[p->centre], m->x[i],
                    m->y[i]);
    for (size_t i = 0; i < p->n; ++i) {
        svg_mark(f, m->x[i], m->y[i], m->r, p->clusters->label[i], "", p->names[i]);
        if (is_nearby(p, i))
            fprintf(f, "<circle class='ring%s' cx='%.1f' cy='%.1f' r='%.1f'/>\n", i == p->centre ? "" : " thin",
                    m->x[i], m->y[i], m->r + 3.0);
    }
    for (size_t i = 0; i < p->n; ++i)
        if (m->kind[i])
            svg_label(f, &m->spot[i], m->x[i], m->y[i], m->size + is_nearby(p, i),
                      i == p->centre               ? "panel"
                      : m->kind[i] == NUMBER_LABEL ? "soft"
                                                   : "",
                      map_text(p, i, m->kind[i]));
}

void draw_map(FILE *f, const void *picture)
{
    const map_picture *p = picture;
    const double left = 24.0, right = 1256.0, legend_top = MAP_TOP + MAP_HEIGHT + 28.0;
    const map_panel a = place_map(p, p->principal, left), b = place_map(p, p->map, left + MAP_WIDTH + 16.0);
    size_t columns = 6, listed = 0, *list = take(p->n, sizeof *list); // models whose number stands for the name
    for (size_t i = 0; i < p->n && p->n <= MOST_NAMES; ++i) {
        const size_t bytes = strlen(short_name(p->names[i]));
        if (a.kind[i] == NAME_LABEL && b.kind[i] == NAME_LABEL) continue;
        list[listed++] = i;
        if (bytes > 22 && columns > 5) columns = 5;
        if (bytes > 28) columns = 4;
    }
    const double list_top = draw_legend(NULL, left, right, legend_top, p->clusters->names, p->clusters->count) + 28.0;
    const size_t rows = (listed + columns - 1) / columns;
    svg_open(f, right + 24.0, list_top + 15.0 * (double)rows + 4.0, p->title, p->note, 0);
    draw_map_panel(f, p, &a,
                   phrase("Principal components: %.0f %% (across) and %.0f %% (up) of the variance",
                          100.0 * p->share[0], 100.0 * p->share[1]));
    draw_map_panel(f, p, &b, "Neighbourhoods: near on the map is near in truth, far means little");
    draw_legend(f, left, right, legend_top, p->clusters->names, p->clusters->count);
    for (size_t k = 0; k < listed; ++k) {
        const double x = left + (right - left) / (double)columns * (double)(k / rows);
        const double y = list_top + 15.0 * (double)(k % rows);
        fprintf(f, "<g font-size='10'>");
        svg_text(f, x + 18.0, y, "soft", "end", map_text(p, list[k], NUMBER_LABEL));
        svg_text(f, x + 23.0, y, "", "", map_text(p, list[k], NAME_LABEL));
        fprintf(f, "</g>\n");
    }
    svg_close(f);
}

// -------------------------------------------------------------------------------------------- dendrogram and heat map

typedef struct tree_frame {
    double row, left, tree, top, side, below, heat; // heat: the left of the heat map
    double font;
} tree_frame;

// Each merge a bracket, from the leaves on the right to the root on the left.
static void draw_brackets(FILE *f, const tree_picture *p, const tree_frame *t)
{
    const size_t n = p->n;
    const clustering *c = p->clusters;
    const double root = n > 1 ? c->merges[n - 2].height : 0.0;
    const axis x = make_axis(0.0, root > 0.0 ? root : 1.0, 4, t->left + t->tree - 2.0, t->left, 0, 1);
    double *at = take(2 * n, sizeof *at);       // of each node, its place from top to bottom
    size_t *owner = take(2 * n, sizeof *owner); // and its group; SIZE_MAX: several
    svg_text(f, t->left, t->top - 10.0, "panel", "", "Tree: height of each merge");
    for (double k = 0.0; k * x.step <= x.high * (1.0 + 1e-9); k += 1.0) {
        fprintf(f, "<path class='grid' d='M%.1f %.1fV%.1f'/>\n", axis_at(&x, k * x.step), t->top, t->below);
        svg_text(f, axis_at(&x, k * x.step), t->below + 16.0, "soft", k > 0.0 ? "middle" : "end",
                 tick_text(&x, k * x.step));
    }
    for (size_t i = 0; i < n; ++i)
        at[c->order[i]] = t->top + t->row * ((double)i + 0.5), owner[c->order[i]] = c->label[c->order[i]];
    for (size_t i = 0; i + 1 < n; ++i) {
        const locus_merge *m = &c->merges[i];
        const double from_a = m->a < n ? 0.0 : c->merges[m->a - n].height;
        const double from_b = m->b < n ? 0.0 : c->merges[m->b - n].height;
        at[n + i] = 0.5 * (at[m->a] + at[m->b]);
        owner[n + i] = owner[m->a] == owner[m->b] ? owner[m->a] : SIZE_MAX;
        if (owner[n + i] == SIZE_MAX) fprintf(f, "<path class='axis");
        else fprintf(f, "<path class='line thin l%d", (int)(owner[n + i] % HUES));
        fprintf(f, "' d='M%.1f %.1fH%.1fV%.1fH%.1f'/>\n", axis_at(&x, from_a), at[m->a], axis_at(&x, m->height),
                at[m->b], axis_at(&x, from_b));
    }
    if (c->count > 1 && c->cut < x.high)
        fprintf(f, "<path class='ring thin dash' d='M%.1f %.1fV%.1f'/>\n", axis_at(&x, c->cut), t->top - 4.0,
                t->below + 2.0);
}

// Of a cell; the diagonal is the nearest.
static int shade_of(const tree_picture *p, size_t i, size_t j, const axis *s)
{
    double d = i == j ? s->low : (double)p->cells[i * p->cell_count + j];
    int k = is_finite(d) ? (int)((d - s->low) / (s->high - s->low) * SHADES) : SHADES - 1;
    return k < 0 ? 0 : k < SHADES ? k : SHADES - 1;
}

// One path for each shade, runs of equal cells in one piece.
static void draw_cells(FILE *f, const tree_picture *p, const tree_frame *t, const axis *s)
{
    const size_t n = p->cell_count;
    const double cell = n ? t->side / (double)n : 0.0;
    svg_text(f, t->heat, t->top - 10.0, "panel", "", "Distances of all pairs");
    for (int level = 0; level < SHADES; ++level) {
        int open = 0;
        for (size_t i = 0; i < n; ++i)
            for (size_t j = 0, end; j < n; j = end) {
                const int here = shade_of(p, i, j, s);
                for (end = j + 1; end < n && shade_of(p, i, end, s) == here; ++end) {}
                if (here != level) continue;
                if (!open++) fprintf(f, "<path class='crisp h%d' d='", level);
                fprintf(f, "M%.5g %.5gh%.5gv%.5gh%.5gz", t->heat + cell * (double)j, t->top + cell * (double)i,
                        cell * (double)(end - j), cell, -cell * (double)(end - j));
            }
        if (open) fprintf(f, "'/>\n");
    }
}

static void draw_leaves(FILE *f, const tree_picture *p, const tree_frame *t)
{
    fprintf(f, "<g font-size='%.1f'>\n", t->font);
    for (size_t i = 0; i < p->n; ++i) {
        const char *name = short_name(p->names[p->clusters->order[i]]);
        const double along = t->row * ((double)i + 0.5) + 0.36 * t->font;
        svg_text(f, t->heat + t->side + 8.0, t->top + along, "", "", name);
        fprintf(f, "<text transform='translate(%.1f %.1f)rotate(-90)' text-anchor='end'>", t->heat + along,
                t->below + 6.0);
        xml_text(f, name);
        fprintf(f, "</text>\n");
    }
    fprintf(f, "</g>\n");
}

static void draw_shades(FILE *f, const tree_picture *p, const tree_frame *t, const axis *s)
{
    const double bar = t->below + 46.0, width = (s->to - s->from) / SHADES;
    svg_text(f, t->left, bar - 6.0, "soft", "", p->metric);
    for (int level = 0; level < SHADES; ++level)
        fprintf(f, "<rect class='crisp h%d' x='%.1f' y='%.1f' width='%.1f' height='12'/>\n", level,
                t->left + width * level, bar, width + 0.5);
    for (double k = axis_first(s); axis_has(s, k); k += 1.0)
        svg_text(f, axis_at(s, k * s->step), bar + 26.0, "soft", "middle", tick_text(s, k * s->step));
}

void draw_tree(FILE *f, const void *picture)
{
    const tree_picture *p = picture;
    const size_t n = p->n;
    const int named = n <= 300;
    tree_frame t = {.row = n <= 30    ? 20.0
                           : n <= 70  ? 13.0
                           : n <= 300 ? 11.0
                                      : 900.0 / (double)n,
                    .font = n <= 30   ? 11.5
                            : n <= 70 ? 10.0
                                      : 9.0,
                    .left = 24.0,
                    .top = 84.0};
    double longest = 0.0, low = INFINITY, high = -INFINITY;
    t.side = t.row * (double)n;
    t.tree = t.side < 400.0 ? 240.0 : t.side < 800.0 ? 320.0 : 380.0;
    t.heat = t.left + t.tree + 8.0;
    t.below = t.top + t.side;
    for (size_t i = 0; named && i < n; ++i) longest = fmax(longest, t.font * text_room(short_name(p->names[i])));
    for (size_t i = 0; i < p->cell_count * p->cell_count; ++i) {
        const double d = (double)p->cells[i];
        if (i % (p->cell_count + 1) == 0 || !is_finite(d)) continue; // the diagonal
        low = fmin(low, d);
        high = fmax(high, d);
    }
    if (!(low < high)) low = 0.0, high = is_finite(high) && high > 0.0 ? high : 1.0;
    const axis s = make_axis(low, high, 5, t.left, t.left + t.tree - 2.0, 0, 1);
    const double legend_top = t.below + 104.0, names = t.heat + t.side + 8.0;
    const double legend_end =
        draw_legend(NULL, t.left, t.left + t.tree, legend_top, p->clusters->names, p->clusters->count);
    svg_open(f, fmax(names + longest, 600.0) + 12.0, fmax(legend_end, t.below + longest + 16.0) + 16.0, p->title,
             p->note, 1);
    draw_brackets(f, p, &t);
    draw_cells(f, p, &t, &s);
    if (named) draw_leaves(f, p, &t);
    draw_shades(f, p, &t, &s);
    draw_legend(f, t.left, t.left + t.tree, legend_top, p->clusters->names, p->clusters->count);
    svg_close(f);
}

// -------------------------------------------------------------------------------------------------------------- curves

enum { MOST_CURVES = 16, MOST_LISTED = 40 };

// The names of the curves stand at their ends, from top to bottom, no two on one another.
static void name_curves(FILE *f, const curve_picture *p, const axis *x, const axis *y)
{
    double place[MOST_CURVES], previous = -INFINITY;
    size_t ranked[MOST_CURVES], ends = 0;
    for (size_t c = 0; c < p->curve_count && ends < MOST_CURVES; ++c) {
        size_t last = p->n, r = ends;
        while (last > 0 && !is_finite(p->curves[c].values[last - 1])) --last;
        if (last == 0) continue;
        double at = axis_at(y, p->curves[c].values[last - 1]);
        for (; r > 0 && place[r - 1] > at; --r) place[r] = place[r - 1], ranked[r] = ranked[r - 1];
        place[r] = at, ranked[r] = c;
        ++ends;
    }
    for (size_t r = 0; r < ends; ++r) {
        const curve *v = &p->curves[ranked[r]];
        double at = fmax(fmin(place[r], y->from - 16.0 * (double)(ends - 1 - r)), previous + 16.0);
        previous = at;
        fprintf(f, "<path class='line thin%s l%d' d='M%.1f %.1fl6 %.1fh8'/>\n", v->dashed ? " dash" : "", v->hue,
                x->to + 2.0, place[r], at - place[r]);
        svg_text(f, x->to + 20.0, at + 4.0, phrase("f%d", v->hue), "", v->name);
    }
}

static void list_chosen(FILE *f, const curve_picture *p, size_t listed, double top)
{
    svg_text(f, 880.0, top - 10.0, "panel", "", phrase("The %zu chosen, in order of gain", p->chosen));
    for (size_t i = 0; i < listed; ++i) {
        const double at = top + 12.0 + 18.0 * (double)i;
        svg_text(f, 898.0, at, "soft", "end", phrase("%zu", i + 1));
        svg_text(f, 906.0, at, "", "", short_name(p->names[i]));
        svg_text(f, 1156.0, at, "soft", "end", phrase("%.1f %%", 100.0 * p->values[i]));
    }
    if (listed < p->chosen)
        svg_text(f, 906.0, top + 12.0 + 18.0 * (double)listed, "soft", "", phrase("and %zu more", p->chosen - listed));
}

void draw_curves(FILE *f, const void *picture)
{
    const curve_picture *p = picture;
    const double left = 70.0, top = 100.0, width = 620.0, height = 400.0;
    const size_t listed = p->chosen < MOST_LISTED ? p->chosen : MOST_LISTED;
    double *all = take(p->curve_count * p->n, sizeof *all), *size = take(p->n, sizeof *size);
    for (size_t k = 0; k < p->n; ++k) size[k] = (double)(k + 1);
    for (size_t c = 0; c < p->curve_count; ++c) memcpy(all + c * p->n, p->curves[c].values, p->n * sizeof *all);
    svg_open(f, 1180.0, top + fmax(height, 18.0 * (double)listed + 40.0) + 64.0, p->title, p->note, 0);
    axis x = make_axis(p->n > 1 ? 1.0 : 0.5, p->n > 1 ? (double)p->n : 1.5, 12, left, left + width, 0, 1);
    const axis y = range_axis(all, p->curve_count * p->n, 6, top + height, top, 1);
    if (x.step < 1.0) x.step = 1.0;
    svg_axes(f, &x, &y, "models in the portfolio", p->y_name);
    if (p->chosen && p->chosen <= p->n)
        fprintf(f, "<path class='axis dash' d='M%.1f %.1fV%.1f'/>\n", axis_at(&x, (double)p->chosen), y.from, y.to);
    for (size_t c = 0; c < p->curve_count; ++c) {
        const curve *v = &p->curves[c];
        svg_line(f, phrase("%sl%d", v->dashed ? "dash " : "", v->hue), &x, &y, size, v->values, p->n);
        for (size_t k = 0; k < p->n && p->n <= 60 && !v->dashed; ++k)
            if (is_finite(v->values[k]))
                svg_mark(f, axis_at(&x, size[k]), axis_at(&y, v->values[k]), 3.0, (size_t)v->hue, "", NULL);
    }
    name_curves(f, p, &x, &y);
    if (listed) list_chosen(f, p, listed, top);
    svg_close(f);
}

void draw_course(FILE *f, const void *picture)
{
    const course_picture *p = picture;
    const double left = 70.0, right = 630.0;
    double *both = take(2 * p->n, sizeof *both);
    const axis x = make_axis(0.0, p->n ? p->epoch[p->n - 1] : 1.0, 8, left, right, 0, 1);
    svg_open(f, 660.0, 640.0, "Learning curve", phrase("%zu epochs", p->n), 0);
    for (int panel = 0; panel < 2; ++panel) {
        const double top = 96.0 + 270.0 * panel;
        legend l = {f, left, right, left, top - 10.0};
        for (size_t k = 0; k < 2; ++k) memcpy(both + k * p->n, p->curves[panel][k].values, p->n * sizeof *both);
        const axis y = range_axis(both, 2 * p->n, 5, top + 200.0, top, panel);
        svg_axes(f, &x, &y, panel ? "epoch" : "", "");
        for (int k = 0; k < 2; ++k) {
            const curve *v = &p->curves[panel][k];
            svg_line(f, phrase("l%d", v->hue), &x, &y, p->epoch, v->values, p->n);
            legend_entry(&l, (size_t)v->hue, v->name);
        }
    }
    svg_close(f);
}

// --------------------------------------------------------------------------------------------------------- reliability

static void draw_bins(FILE *f, const reliability_picture *p, int after, const axis *x, const axis *y)
{
    const locus_bin *bins = p->bins[after];
    const int hue = !after;
    double *predicted = take(p->count, sizeof *predicted), *observed = take(p->count, sizeof *observed);
    for (size_t b = 0; b < p->count; ++b) {
        predicted[b] = bins[b].predicted;
        observed[b] = bins[b].pairs ? bins[b].observed : NAN;
    }
    svg_line(f, phrase("%sl%d", after ? "" : "dash ", hue), x, y, predicted, observed, p->count);
    for (size_t b = 0; b < p->count; ++b) {
        const double o = observed[b], pairs = (double)bins[b].pairs, px = axis_at(x, predicted[b]);
        const double e = 1.645 * sqrt((o * (1.0 - o) + 0.25 / pairs) / pairs);
        if (!bins[b].pairs) continue;
        if (after)
            fprintf(f, "<path class='line l%d' d='M%.1f %.1fV%.1f'/>\n", hue, px, axis_at(y, fmax(o - e, 0.0)),
                    axis_at(y, fmin(o + e, 1.0)));
        svg_mark(
            f, px, axis_at(y, o), 4.5, (size_t)hue, "",
            phrase("%.1f %% predicted, %.1f %% observed, %zu answers", 100.0 * predicted[b], 100.0 * o, bins[b].pairs));
    }
}

void draw_reliability(FILE *f, const void *picture)
{
    const reliability_picture *p = picture;
    const double left = 76.0, top = 100.0, side = 440.0, key = left + side + 24.0;
    const axis x = make_axis(0.0, 1.0, 5, left, left + side, 1, 1), y = make_axis(0.0, 1.0, 5, top + side, top, 1, 1);
    size_t most = 1;
    svg_open(f, 760.0, top + side + 190.0, p->title, p->note, 0);
    svg_axes(f, &x, &y, "", "right answers observed");
    fprintf(f, "<path class='axis dash' d='M%.1f %.1fL%.1f %.1f'/>\n", x.from, y.from, x.to, y.to);
    for (int k = 0; k < 2; ++k) {
        const double row = top + 22.0 + 44.0 * k;
        draw_bins(f, p, k, &x, &y);
        for (size_t b = 0; b < p->count; ++b)
            if (p->bins[k][b].pairs > most) most = p->bins[k][b].pairs;
        fprintf(f, "<path class='line%s l%d' d='M%.1f %.1fh24'/>\n", k ? "" : " dash", !k, key, row);
        svg_mark(f, key + 12.0, row, 4.5, (size_t)!k, "", NULL);
        svg_text(f, key + 32.0, row + 4.0, "", "", k ? "calibrated" : "before");
        svg_text(f, key + 32.0, row + 20.0, "soft", "", phrase("calibration error %.2f %%", 100.0 * p->ece[k]));
    }
    fprintf(f, "<path class='axis dash' d='M%.1f %.1fh24'/>\n", key, top + 110.0);
    svg_text(f, key + 32.0, top + 114.0, "", "", "as it should be");
    fprintf(f, "<path class='line l0' d='M%.1f %.1fv16'/>\n", key + 12.0, top + 132.0);
    svg_text(f, key + 32.0, top + 144.0, "", "", "90 % interval");

    // how many answers are behind each point
    const axis h = make_axis(0.0, (double)most, 2, top + side + 130.0, top + side + 40.0, 0, 0);
    const double w = side / (double)p->count;
    svg_axes(f, &x, &h, "predicted chance of a right answer", "");
    svg_text(f, key, h.to + 10.0, "soft", "", "answers in each bin");
    for (int k = 0; k < 2; ++k)
        for (size_t b = 0; b < p->count; ++b) {
            const double at = axis_at(&h, (double)p->bins[k][b].pairs);
            fprintf(f, "<rect class='f%d' x='%.1f' y='%.1f' width='%.1f' height='%.1f'/>\n", !k,
                    left + w * ((double)b + (k ? 0.5 : 0.1)), at, 0.4 * w, h.from - at);
        }
    svg_close(f);
}

// ---------------------------------------------------------------------------------------------------- scatter of pairs

enum { MOST_DOTS = 20000, BANDS = 16 };

static int by_x(const void *a, const void *b)
{
    const double *p = a, *q = b;
    return p[0] < q[0] ? -1 : p[0] > q[0] ? 1 : (p[1] > q[1]) - (p[1] < q[1]);
}

// Means over bands of equally many pairs.
static void draw_bands(FILE *f, const scatter_picture *p, const axis *x, const axis *y)
{
    double *sorted = take(p->n, 2 * sizeof *sorted), mean_x[BANDS] = {0}, mean_y[BANDS] = {0};
    if (p->n < 4 * BANDS) return;
    for (size_t i = 0; i < p->n; ++i) sorted[2 * i] = p->x[i], sorted[2 * i + 1] = p->y[i];
    qsort(sorted, p->n, 2 * sizeof *sorted, by_x);
    for (size_t band = 0; band < BANDS; ++band) {
        const size_t from = p->n * band / BANDS, to = p->n * (band + 1) / BANDS;
        for (size_t i = from; i < to; ++i) mean_x[band] += sorted[2 * i], mean_y[band] += sorted[2 * i + 1];
        mean_x[band] /= (double)(to - from), mean_y[band] /= (double)(to - from);
    }
    svg_line(f, "l1", x, y, mean_x, mean_y, BANDS);
    fprintf(f, "<path class='line l1' d='M%.1f %.1fh24'/>\n", x->from, y->from + 66.0);
    svg_text(f, x->from + 32.0, y->from + 70.0, "", "", "mean over bands of equally many pairs");
}

// Names of the marked pairs: clear of the dots where that can be, else over them.
static void name_pairs(FILE *f, const scatter_picture *p, const axis *x, const axis *y, double r)
{
    const size_t dots = p->n < 2000 ? p->n : 0, capacity = dots + 2 * p->mark_count + 1;
    labels clear = make_labels(x->from, y->to - 4.0, x->to + 36.0, y->from, capacity);
    labels over = make_labels(x->from, y->to - 4.0, x->to + 36.0, y->from, capacity);
    for (size_t k = 0; k < p->mark_count; ++k) {
        const double px = axis_at(x, p->marks[k].x), py = axis_at(y, p->marks[k].y);
        take_place(&clear, px, py, 6.0);
        take_place(&over, px, py, 6.0);
        fprintf(f, "<circle class='ring' cx='%.1f' cy='%.1f' r='6'/>\n", px, py);
    }
    for (size_t i = 0; i < dots; ++i) take_place(&clear, axis_at(x, p->x[i]), axis_at(y, p->y[i]), r);
    for (size_t k = 0; k < p->mark_count; ++k) {
        const double px = axis_at(x, p->marks[k].x), py = axis_at(y, p->marks[k].y);
        const char *text = p->marks[k].text;
        placed spot;
        if (place_label(&clear, px, py, 7.0, 11.0, text, &spot))
            over.taken[over.count++] = clear.taken[clear.count - 1];
        else if (place_label(&over, px, py, 7.0, 11.0, text, &spot))
            clear.taken[clear.count++] = over.taken[over.count - 1];
        else continue;
        svg_label(f, &spot, px, py, 11.0, "", text);
    }
}

void draw_scatter(FILE *f, const void *picture)
{
    const scatter_picture *p = picture;
    const double left = 70.0, top = 100.0, width = 760.0, height = 460.0;
    const double r = p->n < 500 ? 3.0 : p->n < 5000 ? 2.2 : 1.5;
    double high[2] = {0.0, 0.0};
    for (size_t i = 0; i < p->n; ++i) high[0] = fmax(high[0], p->x[i]), high[1] = fmax(high[1], p->y[i]);
    svg_open(f, left + width + 40.0, top + height + 90.0, p->title, p->note, 0);
    const axis x = make_axis(0.0, high[0], 8, left, left + width, 0, 0);
    const axis y = make_axis(0.0, high[1], 6, top + height, top, 1, 0);
    svg_axes(f, &x, &y, p->x_name, p->y_name);
    for (size_t i = 0; i < p->n; i += p->n / MOST_DOTS + 1)
        fprintf(f, "<circle class='f0' opacity='%s' cx='%.1f' cy='%.1f' r='%.1f'/>\n", p->n < 500 ? ".6" : ".4",
                axis_at(&x, p->x[i]), axis_at(&y, p->y[i]), r);
    draw_bands(f, p, &x, &y);
    name_pairs(f, p, &x, &y, r);
    svg_close(f);
}
