// SPDX-License-Identifier: MIT
// SVG with selectable text, light and dark by the reader's preference, no script and no reference to anything outside:
// page, colours, axes, labels that do not overlap.

#include "pictures.h"

// ----------------------------------------------------------------------------------------------------------------
// files

int wants_picture(void) { return opt.svg || opt.html; }

void save_picture(drawing draw, const void *picture, const char *title)
{
    if (opt.svg) {
        draw(file_begin(opt.svg), picture);
        file_end();
    }
    if (!opt.html) return;
    FILE *f = file_begin(opt.html);
    fprintf(f, "<!DOCTYPE html>\n<html lang='en'>\n<meta charset='utf-8'>\n<meta name='viewport' "
               "content='width=device-width'>\n<title>");
    xml_text(f, title);
    fprintf(f, "</title>\n<style>html{color-scheme:light dark}body{margin:0}"
               "@media(prefers-color-scheme:dark){body{background:#14171c}}</style>\n");
    draw(f, picture);
    fprintf(f, "</html>\n");
    file_end();
}

void mention_pictures(void)
{
    if (!wants_picture() || opt.json) return;
    say("\nwritten: %s%s%s\n", opt.svg ? opt.svg : "", opt.svg && opt.html ? ", " : "", opt.html ? opt.html : "");
}

// ---------------------------------------------------------------------------------------------------------------- text

// Text for XML: what is no character there stands as '?'.
void xml_text(FILE *f, const char *text)
{
    for (size_t n; *text; text += n ? n : 1) {
        n = utf8_bytes(text);
        if (is_control(text) || memcmp(text, "\xEF\xBF\xBE", n) == 0 || memcmp(text, "\xEF\xBF\xBF", n) == 0)
            fputc('?', f);
        else if (*text == '&') fputs("&amp;", f);
        else if (*text == '<') fputs("&lt;", f);
        else if (*text == '>') fputs("&gt;", f);
        else if (*text == '\'') fputs("&#39;", f);
        else if (*text == '"') fputs("&quot;", f);
        else fwrite(text, 1, n, f);
    }
}

double text_room(const char *text)
{
    double width = 0.0;
    for (const char *c = text; *c; c += utf8_bytes(c) ? utf8_bytes(c) : 1)
        width += strchr("ijl.,:;'|!()[]", *c) ? 0.33
                 : strchr("MWmw%@", *c)       ? 0.92
                 : *c >= 'A' && *c <= 'Z'     ? 0.70
                 : (unsigned char)*c >= 0x80  ? 1.0
                                              : 0.59;
    return width;
}

const char *short_name(const char *name)
{
    const char *end = name;
    for (int columns = 0; *end && columns < NAME_COLUMNS; ++columns) end += utf8_bytes(end) ? utf8_bytes(end) : 1;
    return *end ? phrase("%.*s\xE2\x80\xA6", (int)(end - name), name) : name;
}

void svg_text(FILE *f, double x, double y, const char *class_names, const char *anchor, const char *text)
{
    fprintf(f, "<text x='%.1f' y='%.1f'", x, y);
    if (*class_names) fprintf(f, " class='%s'", class_names);
    if (*anchor) fprintf(f, " text-anchor='%s'", anchor);
    fputc('>', f);
    xml_text(f, text);
    fprintf(f, "</text>\n");
}

// ------------------------------------------------------------------------------------------------------ page, colours

// From near (0) to far: on white, on black.
static void svg_shade(FILE *f, int level, int dark)
{
    static const int ramps[2][5][3] = {
        {{16, 52, 100}, {38, 102, 160}, {113, 168, 208}, {203, 222, 236}, {244, 248, 251}},
        {{226, 243, 255}, {140, 196, 240}, {64, 130, 190}, {32, 72, 112}, {24, 31, 42}}};
    double at = 4.0 * level / (SHADES - 1.0);
    int k = at >= 4.0 ? 3 : (int)at, rgb[3];
    for (int c = 0; c < 3; ++c)
        rgb[c] = (int)(ramps[dark][k][c] + (at - k) * (ramps[dark][k + 1][c] - ramps[dark][k][c]) + 0.5);
    fprintf(f, ".h%d{fill:#%02x%02x%02x}", level, rgb[0], rgb[1], rgb[2]);
}

static void svg_colours(FILE *f, int dark, int shades)
{
    static const char *const hues[2][HUES] = {
        {"#1f6fb2", "#c8502d", "#2b8a57", "#8a4fb0", "#a8760a", "#12808f", "#c2407f", "#667080"},
        {"#6db3f2", "#f58a66", "#67c98f", "#c597ea", "#e0b04a", "#5cc8d6", "#f084b4", "#a6aebb"}};
    const char *back = dark ? "#14171c" : "#fff", *ink = dark ? "#e4e7eb" : "#1f2328";
    fprintf(f, "svg{background:%s}.bg{fill:%s}text{fill:%s}.halo{stroke:%s}.soft{fill:%s}.grid{stroke:%s}", back, back,
            ink, back, dark ? "#9aa4b1" : "#59636e", dark ? "#2a3038" : "#e4e7eb");
    fprintf(f, ".axis{stroke:#7b8591}.ring{stroke:%s}.dot{stroke:%s}", ink, back);
    for (int k = 0; k < HUES; ++k) fprintf(f, ".f%d{fill:%s}.l%d{stroke:%s}", k, hues[dark][k], k, hues[dark][k]);
    for (int k = 0; shades && k < SHADES; ++k) svg_shade(f, k, dark);
}

void svg_open(FILE *f, double width, double height, const char *title, const char *note, int shades)
{
    fprintf(f,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%.0f' height='%.0f' viewBox='0 0 %.0f %.0f' "
            "font-family='Helvetica,Arial,\"Liberation Sans\",sans-serif' font-size='12'>\n<title>",
            width, height, width, height);
    xml_text(f, title);
    fprintf(f, "</title>\n<style>svg{max-width:100%%;height:auto}.line{fill:none;stroke-width:2;stroke-linejoin:round}"
               ".dash{stroke-dasharray:5 4}.grid,.axis{fill:none;stroke-width:1}.dot{stroke-width:1}"
               ".ring{fill:none;stroke-width:2}.thin{fill:none;stroke-width:1}.halo{paint-order:stroke;stroke-width:3;"
               "stroke-linejoin:round}.faint{opacity:.35}.head{font-size:17px;font-weight:bold}.panel{font-weight:bold}"
               ".crisp{shape-rendering:crispEdges}");
    svg_colours(f, 0, shades);
    fprintf(f, "@media(prefers-color-scheme:dark){");
    svg_colours(f, 1, shades);
    fprintf(f, "}</style>\n<rect class='bg' width='100%%' height='100%%'/>\n");
    svg_text(f, 24, 30, "head", "", title);
    svg_text(f, 24, 50, "soft", "", note);
}

void svg_close(FILE *f) { fprintf(f, "</svg>\n"); }

void svg_mark(FILE *f, double x, double y, double r, size_t group, const char *extra, const char *title)
{
    int hue = (int)(group % HUES), form = (int)(group / HUES % 4);
    const char *const tag = form == 0 ? "circle" : "path";
    fprintf(f, "<%s class='dot f%d%s%s'", tag, hue, *extra ? " " : "", extra);
    if (form == 0) fprintf(f, " cx='%.1f' cy='%.1f' r='%.1f'", x, y, r);
    else if (form == 1) fprintf(f, " d='M%.1f %.1fh%.1fv%.1fh%.1fz'", x - r, y - r, 2 * r, 2 * r, -2 * r);
    else if (form == 2) fprintf(f, " d='M%.1f %.1fl%.1f %.1fh%.1fz'", x, y - 1.3 * r, 1.2 * r, 2.2 * r, -2.4 * r);
    else
        fprintf(f, " d='M%.1f %.1fl%.1f %.1fl%.1f %.1fl%.1f %.1fz'", x, y - 1.4 * r, 1.4 * r, 1.4 * r, -1.4 * r,
                1.4 * r, -1.4 * r, -1.4 * r);
    if (!title) {
        fprintf(f, "/>\n");
        return;
    }
    fprintf(f, "><title>");
    xml_text(f, title);
    fprintf(f, "</title></%s>\n", tag);
}

// -----------------------------------------------------------------------------------------------------------------
// axes

axis make_axis(double low, double high, int ticks, double from, double to, int percent, int tight)
{
    axis a = {.from = from, .to = to, .percent = percent};
    if (!(low <= high) || !is_finite(low) || !is_finite(high)) low = 0.0, high = 1.0;
    if (high - low < 1e-12 * (fabs(low) + fabs(high)) + 1e-300) {
        double room = fabs(high) > 0.0 ? 0.1 * fabs(high) : 0.5;
        low -= room, high += room;
    }
    double raw = (high - low) / ticks, unit = pow(10.0, floor(log10(raw))), rest = raw / unit;
    a.step = unit * (rest <= 1.0 ? 1.0 : rest <= 2.0 ? 2.0 : rest <= 5.0 ? 5.0 : 10.0);
    a.low = tight ? low : floor(low / a.step + 1e-9) * a.step;
    a.high = tight ? high : ceil(high / a.step - 1e-9) * a.step;
    return a;
}

axis range_axis(const double *values, size_t n, int ticks, double from, double to, int percent)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; ++i) {
        if (!is_finite(values[i])) continue;
        if (values[i] < low) low = values[i];
        if (values[i] > high) high = values[i];
    }
    return make_axis(low, high, ticks, from, to, percent, 0);
}

double axis_at(const axis *a, double value)
{
    return a->from + (a->to - a->from) * (value - a->low) / (a->high - a->low);
}

double axis_first(const axis *a) { return ceil(a->low / a->step - 1e-9); }
int axis_has(const axis *a, double k) { return k * a->step <= a->high + 1e-9 * a->step; }

const char *tick_text(const axis *a, double value)
{
    double scale = a->percent ? 100.0 : 1.0, step = a->step * scale;
    int decimals = step >= 1.0 ? 0 : (int)ceil(-log10(step) - 1e-9);
    if (fabs(value) < 1e-9 * a->step) value = 0.0;
    if (step >= 1e6 || decimals > 6) return phrase("%.3g%s", value * scale, a->percent ? " %" : "");
    return phrase("%.*f%s", decimals, value * scale, a->percent ? " %" : "");
}

static void svg_tick(FILE *f, double at, const axis *y, const char *text)
{
    fprintf(f, "<path class='grid' d='M%.1f %.1fV%.1f'/>\n", at, y->from, y->to);
    svg_text(f, at, y->from + 17, "soft", "middle", text);
}

// 1, 2 and 5 times each power of ten; over more than three of them only the powers have texts.
static void logarithmic_ticks(FILE *f, const axis *x, const axis *y)
{
    static const double minor[] = {1.0, 2.0, 5.0};
    for (double k = floor(x->low); k <= x->high + 1e-9; k += 1.0)
        for (int j = 0; j < 3; ++j) {
            double value = k + log10(minor[j]);
            if (value < x->low - 1e-9 || value > x->high + 1e-9) continue;
            svg_tick(f, axis_at(x, value), y,
                     j && x->high - x->low > 3.0 ? "" : phrase("%.6g", pow(10.0, k) * minor[j]));
        }
}

void svg_axes(FILE *f, const axis *x, const axis *y, const char *x_name, const char *y_name)
{
    if (x->logarithmic) logarithmic_ticks(f, x, y);
    for (double k = axis_first(x); !x->logarithmic && axis_has(x, k); k += 1.0)
        svg_tick(f, axis_at(x, k * x->step), y, tick_text(x, k * x->step));
    for (double k = axis_first(y); axis_has(y, k); k += 1.0) {
        double at = axis_at(y, k * y->step);
        fprintf(f, "<path class='grid' d='M%.1f %.1fH%.1f'/>\n", x->from, at, x->to);
        svg_text(f, x->from - 7, at + 4, "soft", "end", tick_text(y, k * y->step));
    }
    fprintf(f, "<path class='axis' d='M%.1f %.1fH%.1fM%.1f %.1fV%.1f'/>\n", x->from, y->from, x->to, x->from, y->from,
            y->to);
    svg_text(f, 0.5 * (x->from + x->to), y->from + 38, "", "middle", x_name);
    svg_text(f, x->from - 40, y->to - 10, "", "", y_name);
}

void svg_line(FILE *f, const char *class_names, const axis *x, const axis *y, const double *xs, const double *ys,
              size_t n)
{
    fprintf(f, "<polyline class='line %s' points='", class_names);
    for (size_t i = 0; i < n; ++i)
        if (is_finite(ys[i])) fprintf(f, "%.1f,%.1f ", axis_at(x, xs[i]), axis_at(y, ys[i]));
    fprintf(f, "'/>\n");
}

// ---------------------------------------------------------------------------------------------------------------
// labels

labels make_labels(double left, double top, double right, double bottom, size_t capacity)
{
    return (labels){.frame = {left, top, right, bottom}, .taken = take(capacity, sizeof(box)), .capacity = capacity};
}

static int is_free(const labels *l, box b)
{
    if (b.left < l->frame.left || b.right > l->frame.right || b.top < l->frame.top || b.bottom > l->frame.bottom)
        return 0;
    for (size_t i = 0; i < l->count; ++i) {
        const box *t = &l->taken[i];
        if (b.left < t->right && t->left < b.right && b.top < t->bottom && t->top < b.bottom) return 0;
    }
    return 1;
}

static void take_box(labels *l, box b)
{
    if (l->count < l->capacity) l->taken[l->count++] = b;
}

void take_place(labels *l, double x, double y, double r) { take_box(l, (box){x - r, y - r, x + r, y + r}); }

int place_label(labels *l, double x, double y, double r, double size, const char *text, placed *out)
{
    static const signed char sides[12][2] = {{4, 0},  {-4, 0}, {3, -2}, {3, 2}, {-3, -2}, {-3, 2},
                                             {0, -4}, {0, 4},  {2, -4}, {2, 4}, {-2, -4}, {-2, 4}};
    double width = text_room(text) * size + 2.0, height = 1.05 * size;
    for (int ring = 0; ring < 4; ++ring)
        for (int k = 0; k < 12; ++k) {
            double away = r + 3.0 + 11.0 * ring, ax = sides[k][0] / 4.0, ay = sides[k][1] / 4.0;
            box b;
            out->side = (sides[k][0] > 0) - (sides[k][0] < 0);
            out->end_x = x + ax * away, out->end_y = y + ay * away;
            b.left = out->end_x - (out->side > 0 ? 0.0 : out->side < 0 ? width : 0.5 * width);
            b.right = b.left + width;
            b.top = out->end_y - 0.5 * height + (out->side ? 0.0 : ay * 0.5 * height);
            b.bottom = b.top + height;
            if (!is_free(l, b)) continue;
            take_box(l, b);
            out->x = out->end_x, out->y = b.bottom - 0.24 * size;
            out->leader = ring > 0;
            return 1;
        }
    return 0;
}

void svg_label(FILE *f, const placed *p, double x, double y, double size, const char *class_names, const char *text)
{
    static const char *const anchors[] = {"end", "middle", "start"};
    if (p->leader) fprintf(f, "<path class='axis faint' d='M%.1f %.1fL%.1f %.1f'/>\n", x, y, p->end_x, p->end_y);
    fprintf(f, "<text x='%.1f' y='%.1f' font-size='%.1f' class='halo%s%s' text-anchor='%s'>", p->x, p->y, size,
            *class_names ? " " : "", class_names, anchors[p->side + 1]);
    xml_text(f, text);
    fprintf(f, "</text>\n");
}

void legend_entry(legend *l, size_t group, const char *text)
{
    double width = 12.0 * text_room(text) + 34.0;
    if (l->x > l->left && l->x + width > l->right) l->x = l->left, l->y += 20.0;
    if (l->f) {
        svg_mark(l->f, l->x + 5.0, l->y - 4.0, 4.5, group, "", NULL);
        svg_text(l->f, l->x + 15.0, l->y, "", "", text);
    }
    l->x += width;
}

double draw_legend(FILE *f, double left, double right, double y, const char *const *names, size_t count)
{
    legend l = {f, left, right, left, y};
    for (size_t g = 0; g < count; ++g) legend_entry(&l, g, names[g]);
    return l.y;
}
