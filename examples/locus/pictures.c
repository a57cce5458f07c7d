// SPDX-License-Identifier: MIT
// Pictures: map, dendrogram with heat map, curve of portfolios, reliability, scatter of pairs.

#include "locus_tool.h"
#include "pictures.h"

typedef struct map_panel { // one of the two
    const float *xy;
    axis x, y;
    double r, size;
    placed *labels; // [n]
} map_panel;

enum { MOST_NAMES = 600 }; // nobody reads more

static int is_nearby(const map_picture *p, size_t i)
{
    for (size_t k = 0; p->centre != SIZE_MAX && k < p->nearby_count; ++k)
        if (p->nearby[k] == i) return 1;
    return p->centre == i;
}

// Where points and labels go: the names of the centre and its neighbours, then all others where they fit, then numbers.
static void place_map(const map_picture *p, map_panel *m, double left, double top, double width, double height,
                      box *room, size_t capacity)
{
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    char text[4 * NAME_COLUMNS + 8];
    labels l;
    m->r = p->n <= 150 ? 4.5 : p->n <= 600 ? 3.0 : 2.0;
    m->size = p->n <= 40 ? 11.0 : 9.5;
    for (size_t i = 0; i < 2 * p->n; ++i) {
        double v = (double)m->xy[i];
        if (v < low[i % 2]) low[i % 2] = v;
        if (v > high[i % 2]) high[i % 2] = v;
    }
    m->x = make_axis(low[0], high[0], 5, left + 30, left + width - 30, 0, 1);
    m->y = make_axis(low[1], high[1], 5, top + height - 24, top + 24, 0, 1);
    l.frame.left = left + 3, l.frame.right = left + width - 3, l.frame.top = top + 3, l.frame.bottom = top + height - 3;
    l.taken = room, l.count = 0, l.capacity = capacity;
    for (size_t i = 0; i < p->n; ++i) {
        double x = axis_at(&m->x, (double)m->xy[2 * i]), y = axis_at(&m->y, (double)m->xy[2 * i + 1]);
        box b;
        b.left = x - m->r - 1, b.right = x + m->r + 1, b.top = y - m->r - 1, b.bottom = y + m->r + 1;
        take_box(&l, b);
    }
    for (int pass = 0; pass < 3 && p->n <= MOST_NAMES; ++pass)
        for (size_t i = 0; i < p->n; ++i) {
            double x = axis_at(&m->x, (double)m->xy[2 * i]), y = axis_at(&m->y, (double)m->xy[2 * i + 1]);
            if (m->labels[i].kind || (pass == 0 && !is_nearby(p, i))) continue;
            if (pass == 2) snprintf(text, sizeof text, "%zu", i + 1);
            else short_name(p->names[i], text);
            if (place_label(&l, x, y, m->r + (pass == 0 ? 3.0 : 0.0), m->size + (pass == 0), text, &m->labels[i]))
                m->labels[i].kind = pass == 2 ? NUMBER_LABEL : NAME_LABEL;
        }
}

static void draw_map_panel(FILE *f, const map_picture *p, const map_panel *m)
{
    const double cx = p->centre < p->n ? axis_at(&m->x, (double)m->xy[2 * p->centre]) : 0.0;
    const double cy = p->centre < p->n ? axis_at(&m->y, (double)m->xy[2 * p->centre + 1]) : 0.0;
    char text[4 * NAME_COLUMNS + 8];
    fprintf(f, "<rect class='grid' x='%.1f' y='%.1f' width='%.1f' height='%.1f'/>\n", m->x.from - 30, m->y.to - 24,
            m->x.to - m->x.from + 60, m->y.from - m->y.to + 48);
    for (size_t i = 0; i < p->n && p->centre != SIZE_MAX; ++i)
        if (is_nearby(p, i))
            fprintf(f, "<path class='axis' d='M%.1f %.1fL%.1f %.1f'/>\n", cx, cy, axis_at(&m->x, (double)m->xy[2 * i]),
                    axis_at(&m->y, (double)m->xy[2 * i + 1]));
    for (size_t i = 0; i < p->n; ++i) {
        double x = axis_at(&m->x, (double)m->xy[2 * i]), y = axis_at(&m->y, (double)m->xy[2 * i + 1]);
        svg_mark(f, x, y, m->r, p->group ? p->group[i] : 0, "", p->names[i]);
        if (is_nearby(p, i))
            fprintf(f, "<circle class='ring%s' cx='%.1f' cy='%.1f' r='%.1f'/>\n", i == p->centre ? "" : " thin", x, y,
                    m->r + 3.0);
    }
    for (size_t i = 0; i < p->n; ++i) {
        double x = axis_at(&m->x, (double)m->xy[2 * i]), y = axis_at(&m->y, (double)m->xy[2 * i + 1]);
        int near = is_nearby(p, i);
        if (m->labels[i].kind == NUMBER_LABEL) snprintf(text, sizeof text, "%zu", i + 1);
        else short_name(p->names[i], text);
        if (m->labels[i].kind)
            svg_label(f, &m->labels[i], x, y, m->size + near,
                      i == p->centre                      ? "panel"
                      : m->labels[i].kind == NUMBER_LABEL ? "soft"
                                                          : "",
                      text);
    }
}

static void draw_map(FILE *f, const void *picture)
{
    const map_picture *p = (const map_picture *)picture;
    const double width = 1280, top = 84, height = 610, panel = 608;
    const size_t capacity = 2 * p->n + 2;
    char text[4 * NAME_COLUMNS + 8];
    size_t columns = 6, listed = 0, at = 0;
    map_panel panels[2];
    legend l;
    placed *spots = (placed *)calloc(capacity, sizeof *spots);
    box *room = (box *)malloc(capacity * sizeof *room);
    size_t *list = (size_t *)malloc((p->n + 1) * sizeof *list); // models whose number stands for the name
    memset(panels, 0, sizeof panels);
    for (int k = 0; k < 2 && spots && room && list; ++k) {
        panels[k].xy = k ? p->map : p->principal;
        panels[k].labels = spots + (size_t)k * p->n;
        place_map(p, &panels[k], 24.0 + k * (panel + 16.0), top, panel, height, room, capacity);
    }
    for (size_t i = 0; i < p->n && list && spots && p->n <= MOST_NAMES; ++i) {
        size_t bytes = strlen(short_name(p->names[i], text));
        if (panels[0].labels[i].kind == NAME_LABEL && panels[1].labels[i].kind == NAME_LABEL) continue;
        list[listed++] = i;
        if (bytes > 22 && columns > 5) columns = 5;
        if (bytes > 28) columns = 4;
    }
    l.f = NULL, l.left = l.x = 24.0, l.right = width - 24.0, l.y = top + height + 28.0;
    for (size_t g = 0; g < p->groups; ++g) legend_entry(&l, g, p->group_names[g]);
    double list_top = l.y + (p->groups ? 28.0 : 0.0);
    size_t rows = (listed + columns - 1) / columns;
    svg_open(f, width, list_top + 15.0 * (double)rows + 4.0, p->title, 0);
    svg_heading(f, p->title, p->note);
    snprintf(text, sizeof text, "Principal components: %.0f %% (across) and %.0f %% (up) of the variance",
             100.0 * p->share[0], 100.0 * p->share[1]);
    svg_text(f, 24, top - 9, "panel", "", text);
    svg_text(f, 24 + panel + 16, top - 9, "panel", "",
             "Neighbourhoods: near on the map is near in truth, far means little");
    for (int k = 0; k < 2 && spots && room && list; ++k) draw_map_panel(f, p, &panels[k]);
    l.f = f, l.x = l.left, l.y = top + height + 28.0;
    for (size_t g = 0; g < p->groups; ++g) legend_entry(&l, g, p->group_names[g]);
    for (size_t k = 0; k < listed; ++k, ++at) {
        double x = 24.0 + (width - 48.0) / (double)columns * (double)(at / rows),
               y = list_top + 15.0 * (double)(at % rows);
        char name[4 * NAME_COLUMNS + 8], number[24];
        snprintf(number, sizeof number, "%zu", list[k] + 1);
        fprintf(f, "<g font-size='10'>");
        svg_text(f, x + 18.0, y, "soft", "end", number);
        svg_text(f, x + 23.0, y, "", "", short_name(p->names[list[k]], name));
        fprintf(f, "</g>\n");
    }
    svg_close(f);
    free(list);
    free(room);
    free(spots);
}

void draw_tree(FILE *f, const void *picture)
{
    const tree_picture *p = (const tree_picture *)picture;
    const size_t n = p->n;
    const double row = n <= 30 ? 20.0 : n <= 70 ? 13.0 : n <= 300 ? 11.0 : 900.0 / (double)n, side = row * (double)n;
    const double cell = p->cell_count ? side / (double)p->cell_count : 0.0, font = n <= 30   ? 11.5
                                                                                   : n <= 70 ? 10.0
                                                                                             : 9.0;
    const int named = n <= 300;
    char text[4 * NAME_COLUMNS + 8];
    double longest = 0.0, low = INFINITY, high = -INFINITY;
    for (size_t i = 0; named && i < n; ++i) {
        double w = font * text_room(short_name(p->names[i], text));
        if (w > longest) longest = w;
    }
    for (size_t i = 0; i < p->cell_count; ++i)
        for (size_t j = 0; j < p->cell_count; ++j) {
            double d = (double)p->cells[i * p->cell_count + j];
            if (i == j || !is_finite(d)) continue;
            if (d < low) low = d;
            if (d > high) high = d;
        }
    if (!(low < high)) low = 0.0, high = is_finite(high) && high > 0.0 ? high : 1.0;
    const double tree = side < 400.0   ? 240.0
                        : side < 800.0 ? 320.0
                                       : 380.0,
                 left = 24.0, top = 84.0, heat = left + tree + 8.0;
    const double names = heat + side + 8.0, below = top + side;
    const double legend_top = below + 104.0, foot = below + longest + 16.0;
    legend l;
    l.f = NULL, l.left = l.x = left, l.right = left + tree, l.y = legend_top;
    for (size_t g = 0; g < p->groups; ++g) legend_entry(&l, g, p->group_names[g]);
    const double width = (names + longest > 600.0 ? names + longest : 600.0) + 12.0, height = l.y > foot ? l.y : foot;
    svg_open(f, width, height + 16.0, p->title, 1);
    svg_heading(f, p->title, p->note);

    // the tree: each merge a bracket, from the leaves on the right to the root on the left
    const double root = n > 1 ? p->merges[n - 2].height : 0.0;
    axis x = make_axis(0.0, root > 0.0 ? root : 1.0, 4, left + tree - 2.0, left, 0, 1);
    double *at = (double *)malloc(2 * n * sizeof *at);       // of each node, its place from top to bottom
    size_t *owner = (size_t *)malloc(2 * n * sizeof *owner); // and its group; SIZE_MAX: several
    for (double k = 0.0; k * x.step <= x.high * (1.0 + 1e-9); k += 1.0) {
        fprintf(f, "<path class='grid' d='M%.1f %.1fV%.1f'/>\n", axis_at(&x, k * x.step), top, below);
        svg_text(f, axis_at(&x, k * x.step), below + 16.0, "soft", k > 0.0 ? "middle" : "end",
                 tick_text(&x, k * x.step, text));
    }
    for (size_t i = 0; at && owner && i < n; ++i)
        at[p->order[i]] = top + row * ((double)i + 0.5), owner[p->order[i]] = p->group ? p->group[p->order[i]] : 0;
    for (size_t i = 0; at && owner && i + 1 < n; ++i) {
        const locus_merge *m = &p->merges[i];
        double from_a = m->a < n ? 0.0 : p->merges[m->a - n].height,
               from_b = m->b < n ? 0.0 : p->merges[m->b - n].height;
        at[n + i] = 0.5 * (at[m->a] + at[m->b]);
        owner[n + i] = owner[m->a] == owner[m->b] ? owner[m->a] : SIZE_MAX;
        if (owner[n + i] == SIZE_MAX) fprintf(f, "<path class='axis");
        else fprintf(f, "<path class='line thin l%d", (int)(owner[n + i] % HUES));
        fprintf(f, "' d='M%.1f %.1fH%.1fV%.1fH%.1f'/>\n", axis_at(&x, from_a), at[m->a], axis_at(&x, m->height),
                at[m->b], axis_at(&x, from_b));
    }
    if (p->groups > 1 && p->cut < x.high)
        fprintf(f, "<path class='ring thin dash' d='M%.1f %.1fV%.1f'/>\n", axis_at(&x, p->cut), top - 4.0, below + 2.0);
    svg_text(f, left, top - 10.0, "panel", "", "Tree: height of each merge");
    svg_text(f, heat, top - 10.0, "panel", "", "Distances of all pairs");

    // the map: one path for each shade, runs of equal cells in one piece
    for (int level = 0; level < SHADES; ++level) {
        int open = 0;
        for (size_t i = 0; i < p->cell_count; ++i)
            for (size_t j = 0, end; j < p->cell_count; j = end) {
                int here[2] = {0, 0};
                for (end = j; end < p->cell_count; ++end) {
                    double d = i == end ? low : (double)p->cells[i * p->cell_count + end];
                    int k = is_finite(d) ? (int)((d - low) / (high - low) * SHADES) : SHADES - 1;
                    here[end > j] = k < 0 ? 0 : k < SHADES ? k : SHADES - 1;
                    if (here[end > j] != here[0]) break;
                }
                if (here[0] != level) continue;
                if (!open++) fprintf(f, "<path class='crisp h%d' d='", level);
                fprintf(f, "M%.5g %.5gh%.5gv%.5gh%.5gz", heat + cell * (double)j, top + cell * (double)i,
                        cell * (double)(end - j), cell, -cell * (double)(end - j));
            }
        if (open) fprintf(f, "'/>\n");
    }
    if (named) fprintf(f, "<g font-size='%.1f'>\n", font);
    for (size_t i = 0; named && i < n; ++i) {
        const char *name = short_name(p->names[p->order[i]], text);
        double y = top + row * ((double)i + 0.5);
        svg_text(f, names, y + 0.36 * font, "", "", name);
        fprintf(f, "<text transform='translate(%.1f %.1f)rotate(-90)' text-anchor='end'>",
                heat + row * ((double)i + 0.5) + 0.36 * font, below + 6.0);
        xml_text(f, name);
        fprintf(f, "</text>\n");
    }
    if (named) fprintf(f, "</g>\n");

    // the scale of shades
    axis s = make_axis(low, high, 5, left, left + tree - 2.0, 0, 1);
    double bar = below + 46.0;
    svg_text(f, left, bar - 6.0, "soft", "", p->metric);
    for (int level = 0; level < SHADES; ++level)
        fprintf(f, "<rect class='crisp h%d' x='%.1f' y='%.1f' width='%.1f' height='12'/>\n", level,
                left + (tree - 2.0) * level / SHADES, bar, (tree - 2.0) / SHADES + 0.5);
    for (double k = ceil(s.low / s.step - 1e-9); k * s.step <= s.high + 1e-9 * s.step; k += 1.0)
        svg_text(f, axis_at(&s, k * s.step), bar + 26.0, "soft", "middle", tick_text(&s, k * s.step, text));
    l.f = f, l.x = l.left, l.y = legend_top;
    for (size_t g = 0; g < p->groups; ++g) legend_entry(&l, g, p->group_names[g]);
    svg_close(f);
    free(owner);
    free(at);
}

void draw_curves(FILE *f, const void *picture)
{
    const curve_picture *p = (const curve_picture *)picture;
    const double left = 70.0, top = 100.0, width = 620.0, height = 400.0, names = left + width + 12.0;
    const size_t listed = p->chosen < 40 ? p->chosen : 40;
    char text[4 * NAME_COLUMNS + 40], name[4 * NAME_COLUMNS + 8];
    double low = INFINITY, high = -INFINITY, place[16];
    size_t ranked[16], ends = 0;
    for (size_t c = 0; c < p->curve_count; ++c)
        for (size_t k = 0; k < p->n; ++k) {
            double v = p->curves[c].values[k];
            if (!is_finite(v)) continue;
            if (v < low) low = v;
            if (v > high) high = v;
        }
    double list_height = 18.0 * (double)listed + 40.0, body = height > list_height ? height : list_height;
    svg_open(f, 1180.0, top + body + 64.0, p->title, 0);
    svg_heading(f, p->title, p->note);
    axis x = make_axis(p->n > 1 ? 1.0 : 0.5, p->n > 1 ? (double)p->n : 1.5, 12, left, left + width, 0, 1);
    axis y = make_axis(low, high, 6, top + height, top, 1, 0);
    if (x.step < 1.0) x.step = 1.0;
    svg_axes(f, &x, &y, "models in the portfolio", p->y_name);
    if (p->chosen && p->chosen <= p->n)
        fprintf(f, "<path class='axis dash' d='M%.1f %.1fV%.1f'/>\n", axis_at(&x, (double)p->chosen), y.from, y.to);
    for (size_t c = 0; c < p->curve_count; ++c) {
        const curve *v = &p->curves[c];
        size_t last = SIZE_MAX;
        fprintf(f, "<polyline class='line%s l%d' points='", v->dashed ? " dash" : "", v->hue);
        for (size_t k = 0; k < p->n; ++k)
            if (is_finite(v->values[k])) {
                fprintf(f, "%.1f,%.1f ", axis_at(&x, (double)(k + 1)), axis_at(&y, v->values[k]));
                last = k;
            }
        fprintf(f, "'/>\n");
        for (size_t k = 0; k < p->n && p->n <= 60 && !v->dashed; ++k)
            if (is_finite(v->values[k]))
                svg_mark(f, axis_at(&x, (double)(k + 1)), axis_at(&y, v->values[k]), 3.0, (size_t)v->hue, "", NULL);
        if (last == SIZE_MAX || ends == 16) continue;
        double at = axis_at(&y, v->values[last]);
        size_t r = ends++; // the names of the curves stand at their ends, from top to bottom
        for (; r > 0 && place[r - 1] > at; --r) place[r] = place[r - 1], ranked[r] = ranked[r - 1];
        place[r] = at, ranked[r] = c;
    }
    double previous = -INFINITY;
    for (size_t r = 0; r < ends; ++r) {
        const curve *v = &p->curves[ranked[r]];
        double rest = 16.0 * (double)(ends - 1 - r), at = place[r];
        if (at > y.from - rest) at = y.from - rest;
        if (at < previous + 16.0) at = previous + 16.0;
        previous = at;
        fprintf(f, "<path class='line thin%s l%d' d='M%.1f %.1fl6 %.1fh8'/>\n", v->dashed ? " dash" : "", v->hue,
                left + width + 2.0, place[r], at - place[r]);
        snprintf(text, sizeof text, "f%d", v->hue);
        svg_text(f, names + 8.0, at + 4.0, text, "", v->name);
    }
    if (listed) {
        snprintf(text, sizeof text, "The %zu chosen, in order of gain", p->chosen);
        svg_text(f, 880.0, top - 10.0, "panel", "", text);
    }
    for (size_t i = 0; i < listed; ++i) {
        double at = top + 12.0 + 18.0 * (double)i;
        snprintf(text, sizeof text, "%zu", i + 1);
        svg_text(f, 898.0, at, "soft", "end", text);
        svg_text(f, 906.0, at, "", "", short_name(p->names[i], name));
        snprintf(text, sizeof text, "%.1f %%", 100.0 * p->values[i]);
        svg_text(f, 1156.0, at, "soft", "end", text);
    }
    if (listed < p->chosen) {
        snprintf(text, sizeof text, "and %zu more", p->chosen - listed);
        svg_text(f, 906.0, top + 12.0 + 18.0 * (double)listed, "soft", "", text);
    }
    svg_close(f);
}

void draw_reliability(FILE *f, const void *picture)
{
    const reliability_picture *p = (const reliability_picture *)picture;
    const double left = 76.0, top = 100.0, side = 440.0;
    axis x = make_axis(0.0, 1.0, 5, left, left + side, 1, 1), y = make_axis(0.0, 1.0, 5, top + side, top, 1, 1);
    size_t most = 1;
    char text[80];
    svg_open(f, 760.0, top + side + 190.0, p->title, 0);
    svg_heading(f, p->title, p->note);
    svg_axes(f, &x, &y, "", "right answers observed");
    fprintf(f, "<path class='axis dash' d='M%.1f %.1fL%.1f %.1f'/>\n", x.from, y.from, x.to, y.to);
    for (int k = 0; k < 2; ++k) {
        const locus_bin *bins = k ? p->after : p->before;
        const int hue = k ? 0 : 1;
        fprintf(f, "<polyline class='line%s l%d' points='", k ? "" : " dash", hue);
        for (size_t b = 0; b < p->bins; ++b)
            if (bins[b].pairs) fprintf(f, "%.1f,%.1f ", axis_at(&x, bins[b].predicted), axis_at(&y, bins[b].observed));
        fprintf(f, "'/>\n");
        for (size_t b = 0; b < p->bins; ++b) {
            if (!bins[b].pairs) continue;
            double o = bins[b].observed,
                   e = 1.645 * sqrt((o * (1.0 - o) + 0.25 / (double)bins[b].pairs) / (double)bins[b].pairs);
            double px = axis_at(&x, bins[b].predicted), from = o - e < 0.0 ? 0.0 : o - e,
                   to = o + e > 1.0 ? 1.0 : o + e;
            if (k)
                fprintf(f, "<path class='line l%d' d='M%.1f %.1fV%.1f'/>\n", hue, px, axis_at(&y, from),
                        axis_at(&y, to));
            snprintf(text, sizeof text, "%.1f %% predicted, %.1f %% observed, %zu answers", 100.0 * bins[b].predicted,
                     100.0 * o, bins[b].pairs);
            svg_mark(f, px, axis_at(&y, o), 4.5, (size_t)hue, "", text);
            if (bins[b].pairs > most) most = bins[b].pairs;
        }
        double row = top + 22.0 + 44.0 * k;
        fprintf(f, "<path class='line%s l%d' d='M%.1f %.1fh24'/>\n", k ? "" : " dash", hue, left + side + 24.0, row);
        svg_mark(f, left + side + 36.0, row, 4.5, (size_t)hue, "", NULL);
        svg_text(f, left + side + 56.0, row + 4.0, "", "", k ? "calibrated" : "before");
        snprintf(text, sizeof text, "calibration error %.2f %%", 100.0 * (k ? p->ece_after : p->ece_before));
        svg_text(f, left + side + 56.0, row + 20.0, "soft", "", text);
    }
    fprintf(f, "<path class='axis dash' d='M%.1f %.1fh24'/>\n", left + side + 24.0, top + 110.0);
    svg_text(f, left + side + 56.0, top + 114.0, "", "", "as it should be");
    fprintf(f, "<path class='line l0' d='M%.1f %.1fv16'/>\n", left + side + 36.0, top + 132.0);
    svg_text(f, left + side + 56.0, top + 144.0, "", "", "90 % interval");

    // how many answers are behind each point
    axis h = make_axis(0.0, (double)most, 2, top + side + 130.0, top + side + 40.0, 0, 0);
    svg_axes(f, &x, &h, "predicted chance of a right answer", "");
    svg_text(f, left + side + 24.0, h.to + 10.0, "soft", "", "answers in each bin");
    for (int k = 0; k < 2; ++k)
        for (size_t b = 0; b < p->bins; ++b) {
            const locus_bin *bin = k ? &p->after[b] : &p->before[b];
            double w = side / (double)p->bins, at = axis_at(&h, (double)bin->pairs);
            fprintf(f, "<rect class='f%d' x='%.1f' y='%.1f' width='%.1f' height='%.1f'/>\n", k ? 0 : 1,
                    left + w * ((double)b + (k ? 0.5 : 0.1)), at, 0.4 * w, h.from - at);
        }
    svg_close(f);
}

typedef struct abscissa {
    double x, y;
} abscissa;

static int by_x(const void *a, const void *b)
{
    const abscissa *p = (const abscissa *)a, *q = (const abscissa *)b;
    return p->x < q->x ? -1 : p->x > q->x ? 1 : (p->y > q->y) - (p->y < q->y);
}

static void draw_scatter(FILE *f, const void *picture)
{
    enum { MOST_DOTS = 20000, BANDS = 16 };
    const scatter_picture *p = (const scatter_picture *)picture;
    const double left = 70.0, top = 100.0, width = 760.0, height = 460.0;
    const size_t every = p->n / MOST_DOTS + 1;
    double high[2] = {0.0, 0.0};
    for (size_t i = 0; i < p->n; ++i) {
        if (p->x[i] > high[0]) high[0] = p->x[i];
        if (p->y[i] > high[1]) high[1] = p->y[i];
    }
    svg_open(f, left + width + 40.0, top + height + 90.0, p->title, 0);
    svg_heading(f, p->title, p->note);
    axis x = make_axis(0.0, high[0], 8, left, left + width, 0, 0),
         y = make_axis(0.0, high[1], 6, top + height, top, 1, 0);
    svg_axes(f, &x, &y, p->x_name, p->y_name);
    const double r = p->n < 500 ? 3.0 : p->n < 5000 ? 2.2 : 1.5;
    for (size_t i = 0; i < p->n; i += every)
        fprintf(f, "<circle class='f0' opacity='%s' cx='%.1f' cy='%.1f' r='%.1f'/>\n", p->n < 500 ? ".6" : ".4",
                axis_at(&x, p->x[i]), axis_at(&y, p->y[i]), r);
    // means over bands of equally many pairs
    abscissa *sorted = (abscissa *)malloc((p->n + 1) * sizeof *sorted);
    if (sorted && p->n >= 4 * BANDS) {
        for (size_t i = 0; i < p->n; ++i) sorted[i].x = p->x[i], sorted[i].y = p->y[i];
        qsort(sorted, p->n, sizeof *sorted, by_x);
        fprintf(f, "<polyline class='line l1' points='");
        for (size_t band = 0; band < BANDS; ++band) {
            size_t from = p->n * band / BANDS, to = p->n * (band + 1) / BANDS;
            double sx = 0.0, sy = 0.0;
            for (size_t i = from; i < to; ++i) sx += sorted[i].x, sy += sorted[i].y;
            fprintf(f, "%.1f,%.1f ", axis_at(&x, sx / (double)(to - from)), axis_at(&y, sy / (double)(to - from)));
        }
        fprintf(f, "'/>\n<path class='line l1' d='M%.1f %.1fh24'/>\n", left, top + height + 66.0);
        svg_text(f, left + 32.0, top + height + 70.0, "", "", "mean over bands of equally many pairs");
    }
    free(sorted);
    // names of the marked pairs: clear of the dots where that can be
    labels clear, over;
    const size_t dots = p->n < 2000 ? p->n : 0, capacity = dots + 2 * p->mark_count + 1;
    box *room = (box *)malloc(2 * capacity * sizeof *room);
    clear.frame.left = left, clear.frame.right = left + width + 36.0, clear.frame.top = top - 4.0;
    clear.frame.bottom = top + height;
    clear.taken = room, clear.count = 0, clear.capacity = room ? capacity : 0;
    over = clear;
    over.taken = room + capacity;
    for (size_t k = 0; k < p->mark_count; ++k) {
        double px = axis_at(&x, p->marks[k].x), py = axis_at(&y, p->marks[k].y);
        box b;
        b.left = px - 6.0, b.right = px + 6.0, b.top = py - 6.0, b.bottom = py + 6.0;
        take_box(&clear, b);
        take_box(&over, b);
        fprintf(f, "<circle class='ring' cx='%.1f' cy='%.1f' r='6'/>\n", px, py);
    }
    for (size_t i = 0; i < dots; ++i) {
        box b;
        b.left = axis_at(&x, p->x[i]) - r, b.right = b.left + 2.0 * r;
        b.top = axis_at(&y, p->y[i]) - r, b.bottom = b.top + 2.0 * r;
        take_box(&clear, b);
    }
    for (size_t k = 0; k < p->mark_count && room; ++k) {
        placed spot;
        double px = axis_at(&x, p->marks[k].x), py = axis_at(&y, p->marks[k].y);
        if (place_label(&clear, px, py, 7.0, 11.0, p->marks[k].text, &spot)) {
            box b = clear.taken[clear.count - 1];
            take_box(&over, b);
        } else if (!place_label(&over, px, py, 7.0, 11.0, p->marks[k].text, &spot)) {
            continue;
        } else {
            take_box(&clear, over.taken[over.count - 1]);
        }
        svg_label(f, &spot, px, py, 11.0, "", p->marks[k].text);
    }
    free(room);
    svg_close(f);
}

int save_scatter(session *s, const sample *x, const pairs *p, const pair_mark *marks, size_t mark_count)
{
    scatter_picture picture;
    memset(&picture, 0, sizeof picture);
    picture.title = phrase(s, "Distance and disagreement of %zu models", x->models);
    picture.note = phrase(s, "all pairs, %zu queries", x->n);
    picture.x_name = "cosine distance of the embeddings";
    picture.y_name = p->observed ? "share of unlike answers, observed" : "expected share of unlike answers";
    picture.x = p->distance;
    picture.y = p->disagreement;
    picture.n = p->count;
    picture.marks = marks;
    picture.mark_count = mark_count;
    return save_picture(s, draw_scatter, &picture, picture.title);
}

// Map of the pool in this view; centre and its neighbours stand out (SIZE_MAX: none).
int save_map(session *s, const sample *x, const view *v, size_t centre, const locus_neighbour *nearest, size_t k)
{
    const size_t m = x->models;
    map_picture picture;
    clustering c;
    float *distances = NULL, *xy = (float *)take(s, 4 * m, sizeof *xy);
    size_t *medoids, *sizes, *nearby = (size_t *)take(s, k, sizeof *nearby), found = 0;
    const char **group_names;
    memset(&picture, 0, sizeof picture);
    if (!xy || !nearby || all_distances(s, v, &distances) ||
        find_clusters(s, v, LOCUS_AVERAGE, usual_clusters(m), -1.0, &c) ||
        name_clusters(s, &c, m, distances, &medoids, &sizes, &group_names))
        return FAILED;
    if (principal_components(v->points.rows, m, v->points.dim, v->points.stride, xy, picture.share) ||
        layout_map(distances, m, xy + 2 * m))
        return fail(s, "out of memory");
    while (found < k && nearest[found].index != SIZE_MAX) nearby[found] = nearest[found].index, ++found;
    picture.title = centre == SIZE_MAX ? phrase(s, "Map of %zu models", m)
                                       : phrase(s, "Neighbours of %s among %zu models", model_name(s, centre), m);
    picture.note = v->note;
    picture.n = m;
    picture.names = all_names(s);
    picture.principal = xy;
    picture.map = xy + 2 * m;
    picture.group = c.label;
    picture.groups = c.clusters;
    picture.group_names = group_names;
    picture.centre = centre;
    picture.nearby = nearby;
    picture.nearby_count = found;
    return picture.names ? save_picture(s, draw_map, &picture, picture.title) : FAILED;
}
