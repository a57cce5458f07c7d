// SPDX-License-Identifier: MIT
// Quality against money in `locus eval`: the frontier as table, JSON and picture.

#include "locus_tool.h"
#include "pictures.h"

// Are there costs to speak of? Pools of old have 0 for "nobody said".
static int has_costs(const replay *r)
{
    if (r->c.of_query) return 1;
    for (size_t m = 0; m < r->models; ++m)
        if (is_finite(r->own_cost[m]) && r->own_cost[m] > 0.0) return 1;
    return 0;
}

typedef struct frontier_picture {
    const char *title, *note, *cost_name;
    const session *s;
    const replay *r;
    int logarithmic;
    double low, high; // costs
} frontier_picture;

static double frontier_x(const frontier_picture *p, const axis *x, double cost)
{
    double at = p->logarithmic ? log10(cost > p->low ? cost : p->low) : cost;
    return axis_at(x, at < x->low ? x->low : at > x->high ? x->high : at);
}

// A line through the corners, level beyond the last.
static void frontier_line(FILE *f, const frontier_picture *p, const axis *x, const axis *y,
                          const locus_tradeoff *points, size_t count, const char *class_names)
{
    enum { STEPS = 24 }; // a mix of two points is no straight line on a logarithmic axis
    fprintf(f, "<polyline class='line %s' points='", class_names);
    for (size_t i = 0; i < count; ++i) {
        for (int k = i && p->logarithmic ? 1 : STEPS; k <= STEPS; ++k) {
            double t = (double)k / STEPS, cost = points[i].cost, quality = points[i].quality;
            if (i) {
                cost = points[i - 1].cost + t * (cost - points[i - 1].cost);
                quality = points[i - 1].quality + t * (quality - points[i - 1].quality);
            }
            fprintf(f, "%.1f,%.1f ", frontier_x(p, x, cost), axis_at(y, quality));
        }
    }
    if (count) fprintf(f, "%.1f,%.1f", x->to, axis_at(y, points[count - 1].quality));
    fprintf(f, "'/>\n");
}

static void frontier_axes(FILE *f, const frontier_picture *p, const axis *x, const axis *y)
{
    char text[32];
    svg_text(f, 0.5 * (x->from + x->to), y->from + 38, "", "middle", p->cost_name);
    svg_text(f, x->from - 40, y->to - 10, "", "", "mean score");
    for (double k = ceil(y->low / y->step - 1e-9); k * y->step <= y->high + 1e-9 * y->step; k += 1.0) {
        double at = axis_at(y, k * y->step);
        fprintf(f, "<path class='grid' d='M%.1f %.1fH%.1f'/>\n", x->from, at, x->to);
        svg_text(f, x->from - 7, at + 4, "soft", "end", tick_text(y, k * y->step, text));
    }
    for (double k = p->logarithmic ? floor(x->low) : ceil(x->low / x->step - 1e-9);; k += 1.0) {
        static const double minor[] = {1.0, 2.0, 5.0};
        if ((p->logarithmic ? k : k * x->step) > x->high + 1e-9) break;
        for (int j = 0; j < (p->logarithmic ? 3 : 1); ++j) {
            double value = p->logarithmic ? k + log10(minor[j]) : k * x->step + 0.0, at = axis_at(x, value);
            if (value < x->low - 1e-9 || value > x->high + 1e-9) continue;
            fprintf(f, "<path class='grid' d='M%.1f %.1fV%.1f'/>\n", at, y->from, y->to);
            if (p->logarithmic && j && x->high - x->low > 3.0) continue;
            snprintf(text, sizeof text, "%.6g", p->logarithmic ? pow(10.0, k) * minor[j] : value);
            svg_text(f, at, y->from + 17, "soft", "middle", text);
        }
    }
    fprintf(f, "<path class='axis' d='M%.1f %.1fH%.1fM%.1f %.1fV%.1f'/>\n", x->from, y->from, x->to, x->from, y->from,
            y->to);
}

static void draw_frontier(FILE *f, const void *picture)
{
    const frontier_picture *p = (const frontier_picture *)picture;
    const replay *r = p->r;
    const double left = 76.0, top = 136.0, width = 940.0, height = 520.0;
    double low = r->frontier.leader_mean.quality, high = r->frontier.oracle.quality;
    locus_tradeoff corners[256], zero[256];
    size_t count = 0, zero_count = 0;
    box taken[512];
    labels l;
    char text[4 * NAME_COLUMNS + 48], name[4 * NAME_COLUMNS + 8];
    for (size_t i = 0; i < r->frontier.points; ++i)
        if (r->points[i].quality < low) low = r->points[i].quality;
    for (size_t m = 0; m < r->models; ++m)
        if (r->singles[m].mean.quality < low) low = r->singles[m].mean.quality;
    if (low < high - 0.5) low = high - 0.5;       // the weakest models lie on the floor
    for (size_t i = r->frontier.points; i-- > 0;) // from the cheapest
        if (r->points[i].corner && count < 256) {
            corners[count].cost = r->points[i].cost;
            corners[count++].quality = r->points[i].quality;
        }
    for (size_t i = 0; i < r->frontier.zero_corners && zero_count < 256; ++i) zero[zero_count++] = r->zero[i].mean;
    svg_open(f, left + width + 40.0, top + height + 64.0, p->title, 0);
    svg_heading(f, p->title, p->note);
    axis y = make_axis(low, high, 7, top + height, top, 1, 0), x;
    x = p->logarithmic ? make_axis(log10(p->low) - 0.05, log10(p->high) + 0.05, 8, left, left + width, 0, 1)
                       : make_axis(0.0, p->high, 8, left, left + width, 0, 0);
    frontier_axes(f, p, &x, &y);
    memset(&l, 0, sizeof l);
    l.frame.left = left, l.frame.right = left + width + 36.0, l.frame.top = top, l.frame.bottom = top + height;
    l.taken = taken, l.capacity = 512;
    frontier_line(f, p, &x, &y, zero, zero_count, "dash l7");
    frontier_line(f, p, &x, &y, corners, count, "l0");
    legend g = {f, left, left + width, left, 78.0};
    legend_entry(&g, 0, "router, at each price of cost");
    legend_entry(&g, 7, "single models (faint: on a part of the queries); dashed: the zero router");
    legend_entry(&g, 1, "best single model");
    legend_entry(&g, 4, "a random model");
    legend_entry(&g, 2, "oracle");
    const struct {
        locus_tradeoff at;
        size_t group;
    } marks[] = {{r->frontier.leader_mean, 1}, {r->frontier.random, 4}, {r->frontier.oracle, 2}};
    for (size_t m = 0; m < r->models; ++m) {
        const locus_single *one = &r->singles[m];
        if (is_nan(one->mean.cost)) continue;
        double at_x = frontier_x(p, &x, one->mean.cost);
        double at_y = axis_at(&y, one->mean.quality < y.low ? y.low : one->mean.quality);
        box b = {at_x - 3.0, at_y - 3.0, at_x + 3.0, at_y + 3.0};
        take_box(&l, b);
        snprintf(text, sizeof text, "%s: %.4g, %.1f %%", short_name(locus_pool_model(p->s->pool, m)->name, name),
                 one->mean.cost, 100.0 * one->mean.quality);
        svg_mark(f, at_x, at_y, 3.0, 7, one->candidate < r->frontier.queries ? "faint" : "", text);
    }
    for (size_t i = 0; i < r->frontier.points; ++i) {
        const locus_frontier_point *one = &r->points[i];
        double at_x = frontier_x(p, &x, one->cost), at_y = axis_at(&y, one->quality < y.low ? y.low : one->quality);
        box b = {at_x - 3.0, at_y - 3.0, at_x + 3.0, at_y + 3.0};
        take_box(&l, b);
        snprintf(text, sizeof text, "lambda %.4g: %.4g, %.1f %%", one->lambda, one->cost, 100.0 * one->quality);
        svg_mark(f, at_x, at_y, one->corner ? 4.0 : 2.5, 0, "", text);
    }
    for (size_t k = 0; k < 3; ++k) {
        double at_x = frontier_x(p, &x, marks[k].at.cost), at_y = axis_at(&y, marks[k].at.quality);
        box b = {at_x - 5.0, at_y - 5.0, at_x + 5.0, at_y + 5.0};
        take_box(&l, b);
        svg_mark(f, at_x, at_y, 5.5, marks[k].group, "", NULL);
    }
    for (size_t i = 0; i < zero_count; ++i) { // names of the hull first, then of others where there is room
        placed q;
        double at_x = frontier_x(p, &x, zero[i].cost), at_y = axis_at(&y, zero[i].quality);
        const char *title = short_name(locus_pool_model(p->s->pool, r->zero[i].model)->name, name);
        if (zero[i].quality < y.low) continue;
        snprintf(text, sizeof text, r->zero[i].share < 1.0 ? "%s on %.0f %%" : "%s", title, 100.0 * r->zero[i].share);
        svg_mark(f, at_x, at_y, 4.0, 7, "", text);
        if (place_label(&l, at_x, at_y, 3.0, 12.0, text, &q)) svg_label(f, &q, at_x, at_y, 12.0, "", text);
    }
    for (size_t m = 0; m < r->models; ++m) {
        const locus_single *one = &r->singles[m];
        placed q;
        size_t i = 0;
        while (i < zero_count && (r->zero[i].model != m || r->zero[i].share < 1.0)) ++i;
        if (i < zero_count || is_nan(one->mean.cost) || one->mean.quality < y.low) continue;
        double at_x = frontier_x(p, &x, one->mean.cost), at_y = axis_at(&y, one->mean.quality);
        const char *title = short_name(locus_pool_model(p->s->pool, m)->name, name);
        if (place_label(&l, at_x, at_y, 3.0, 9.5, title, &q) && !q.leader)
            svg_label(f, &q, at_x, at_y, 9.5, "soft", title);
    }
    svg_close(f);
}

// Compute what print_frontier shows, and draw it.
int open_frontier(session *s, replay *r)
{
    const options *o = &s->opt;
    locus_frontier_opts opts;
    locus_route_opts rules = r->rules;
    frontier_picture picture;
    memset(&opts, 0, sizeof opts);
    rules.cost = r->own_cost;
    opts.rules = &rules;
    opts.columns = r->use;
    opts.leaders = r->leaders;
    opts.leader_count = r->models;
    opts.means = r->means;
    opts.among = r->among;
    if (o->weak) {
        if (name_of(s, "--weak", o->weak, &opts.weak) || name_of(s, "--strong", o->strong, &opts.strong)) return FAILED;
        if (opts.weak == opts.strong) return misuse(s, "--weak and --strong name one model twice");
    }
    r->priced = has_costs(r);
    if (!r->priced && o->svg) return misuse(s, "--svg needs costs: --prices or --costs");
    if (!r->priced && !o->weak) return DONE;
    r->points = (locus_frontier_point *)take(s, 64, sizeof *r->points);
    r->singles = (locus_single *)take(s, r->models, sizeof *r->singles);
    r->zero = (locus_zero_corner *)take(s, r->models + 64, sizeof *r->zero);
    if (!r->points || !r->singles || !r->zero) return FAILED;
    if (locus_frontier_compute(&r->frontier, r->points, r->zero, r->singles, r->logits, r->n, &r->scores, &opts, NULL,
                               &s->err)) {
        if (o->weak && !r->frontier.gap.queries) return fail(s, "--weak, --strong: %s", s->err.message);
        if (s->err.status == LOCUS_ERR_NO_CANDIDATE && !r->c.of_query && !o->svg) { // nobody asked for it
            r->priced = 0;
            return DONE;
        }
        if (s->err.status == LOCUS_ERR_NO_CANDIDATE && !o->allow_unpriced)
            return fail(s, "frontier: %s; --allow-unpriced takes models of unknown cost", s->err.message);
        return fail(s, "frontier: %s", s->err.message);
    }
    if (!o->svg) return DONE;
    memset(&picture, 0, sizeof picture);
    picture.s = s;
    picture.r = r;
    picture.title = phrase(s, "Quality against cost: AIQ %.2f %%, zero router %.2f %%", 100.0 * r->frontier.aiq.value,
                           100.0 * r->frontier.zero_aiq.value);
    picture.note = phrase(s, "%zu queries, %zu models; costs %s", r->frontier.queries, r->models, r->c.source);
    picture.low = HUGE_VAL; // the least that is not free
    for (size_t i = 0; i < r->frontier.points + r->models + 3; ++i) {
        size_t m = i - r->frontier.points;
        double cost = i < r->frontier.points ? r->points[i].cost
                      : m < r->models        ? r->singles[m].mean.cost
                      : m == r->models       ? r->frontier.oracle.cost
                      : m == r->models + 1   ? r->frontier.leader_mean.cost
                                             : r->frontier.random.cost;
        if (is_nan(cost)) continue;
        if (cost > 0.0 && cost < picture.low) picture.low = cost;
        if (cost > picture.high) picture.high = cost;
    }
    picture.logarithmic = picture.high > 20.0 * picture.low;
    picture.cost_name = picture.logarithmic ? "mean cost of a query (logarithmic)" : "mean cost of a query";
    return save_picture(s, draw_frontier, &picture, picture.title);
}

static void json_tradeoff(const char *name, locus_tradeoff x)
{
    json("%s:{'cost':%d,'score':%d}", name, x.cost, x.quality);
}

static void frontier_json(const session *s, const replay *r)
{
    static const int share[LOCUS_FRONTIER_LEVELS] = {90, 95, 99, 100};
    const locus_frontier *f = &r->frontier;
    int first = 1;
    json(",'frontier':{'queries':%u,'left_out':%u,'costs':%s,'level':0.9,", f->queries, f->left_out, r->c.source);
    json("'unpriced':["); // models of unknown cost on all of these queries
    for (size_t m = 0, listed = 0; m < r->models; ++m) {
        size_t i = 0;
        while (i < r->n && is_nan(cost_at(r, i, m))) ++i;
        if (i == r->n) json("%c%s", listed++ > 0, locus_pool_model(s->pool, m)->name);
    }
    json("],");
    json("'answer_tokens':%d,'low':%d,'high':%d,", r->c.answer_tokens, f->low, f->high);
    json_range("aiq", f->aiq);
    json(",");
    json_range("zero_aiq", f->zero_aiq);
    json(",");
    json_range("aiq_gain", f->aiq_gain);
    json(",");
    json_range("at_leader_cost", f->at_leader);
    json(",");
    json_tradeoff("best_single", f->leader_mean);
    json(",");
    json_tradeoff("random", f->random);
    json(",");
    json_tradeoff("oracle", f->oracle);
    json(",'quality':[");
    for (int k = 0; k < LOCUS_FRONTIER_LEVELS; ++k) {
        json("%c{'percent':%d,'score':%d,'zero_cost':%d,", k > 0, (double)share[k], f->level[k], f->zero_cost[k]);
        json_range("cost", f->cost[k]);
        json(",");
        json_range("saving", f->saving[k]);
        json("}");
    }
    json("],'points':[");
    for (size_t i = 0; i < f->points; ++i) {
        const locus_frontier_point *p = &r->points[i];
        json("%c\n{'lambda':%d,'cost':%d,'score':%d,'right':%d,'corner':%b,", i > 0, p->lambda, p->cost, p->quality,
             p->right, p->corner);
        json_range("less_zero", p->gain);
        json("}");
    }
    json("],'zero':[");
    for (size_t i = 0; i < f->zero_corners; ++i)
        json("%c\n{'model':%s,'share':%d,'cost':%d,'score':%d}", i > 0,
             locus_pool_model(s->pool, r->zero[i].model)->name, r->zero[i].share, r->zero[i].mean.cost,
             r->zero[i].mean.quality);
    json("],'singles':[");
    for (size_t m = 0; m < r->models; ++m) {
        const locus_single *one = &r->singles[m];
        if (!one->candidate) continue;
        json("%c\n{'model':%s,'cost':%d,'score':%d,'queries':%u}", !first, locus_pool_model(s->pool, m)->name,
             one->mean.cost, one->mean.quality, one->candidate);
        first = 0;
    }
    json("]}");
}

// Not every corner: some are hardly apart.
static int shown_corner(const replay *r, size_t i, size_t *shown)
{
    enum { ROWS = 12 };
    if (!r->points[i].corner) return 0;
    size_t k = (*shown)++, n = r->frontier.corners;
    return n <= ROWS || k == 0 || k * (ROWS - 1) / (n - 1) != (k - 1) * (ROWS - 1) / (n - 1);
}

void print_frontier(session *s, const replay *r)
{
    static const int share[LOCUS_FRONTIER_LEVELS] = {90, 95, 99, 100};
    const options *o = &s->opt;
    const locus_frontier *f = &r->frontier;
    char t[2][32];
    size_t shown = 0;
    int width = longest_name(s) > 18 ? longest_name(s) : 18;
    if (o->json) {
        if (r->priced) frontier_json(s, r);
        if (o->weak) {
            json(",'gap':{'weak':%s,'strong':%s,'queries':%u,'weak_score':%d,'strong_score':%d,", o->weak, o->strong,
                 r->frontier.gap.queries, r->frontier.gap.weak, r->frontier.gap.strong);
            json_range("recovered", r->frontier.gap.recovered);
            json(",'calls_for_half':%d,'calls_for_80_percent':%d}", r->frontier.gap.calls_half,
                 r->frontier.gap.calls_most);
        }
        return;
    }
    if (o->weak) {
        printf("\ngap between ");
        print_text(o->weak, 0);
        printf(" (%.2f %%) and ", 100.0 * r->frontier.gap.weak);
        print_text(o->strong, 0);
        printf(" (%.2f %%) on %zu queries: ", 100.0 * r->frontier.gap.strong, r->frontier.gap.queries);
        if (is_nan(r->frontier.gap.recovered.value)) printf("there is none to recover\n");
        else {
            printf("APGR %.3f", r->frontier.gap.recovered.value);
            if (is_finite(r->frontier.gap.recovered.low) && is_finite(r->frontier.gap.recovered.high))
                printf(" (%.3f to %.3f)", r->frontier.gap.recovered.low, r->frontier.gap.recovered.high);
            printf(" of 1, random 0.5; half of it for %s %%", figure(t[0], r->frontier.gap.calls_half, 100.0, 1));
            printf(" of the calls to the strong one, 80 %% for %s %%\n",
                   figure(t[1], r->frontier.gap.calls_most, 100.0, 1));
        }
    }
    if (!r->priced) return;
    printf("\nquality against mean cost; costs %s", r->c.source);
    if (f->left_out) printf("; %zu queries without a candidate of known cost are left out", f->left_out);
    printf("\n");
    print_text("", width);
    printf("  %10s  %11s  %8s  %s\n", "lambda", "mean cost", "score, %", "less zero router at that cost, points");
    for (size_t i = 0; i < f->points; ++i) {
        const locus_frontier_point *p = &r->points[i];
        if (!shown_corner(r, i, &shown)) continue;
        print_text("router", width);
        printf("  %10.4g  %11.5g  %8.2f  ", p->lambda, p->cost, 100.0 * p->quality);
        if (is_finite(p->gain.value)) print_interval("", p->gain, "");
        else printf("-");
        printf("\n");
    }
    for (size_t i = f->zero_corners; i-- > 0;) { // from the dearest
        const locus_zero_corner *z = &r->zero[i];
        print_text(locus_pool_model(s->pool, z->model)->name, width);
        printf("  %10s  %11.5g  %8.2f  zero router", "", z->mean.cost, 100.0 * z->mean.quality);
        if (z->share < 1.0) printf(", this one on %.1f %% of the queries", 100.0 * z->share);
        putchar('\n');
    }
    const struct {
        const char *name;
        locus_tradeoff at;
    } others[] = {{"best single model", f->leader_mean}, {"a random model", f->random}, {"oracle", f->oracle}};
    for (int k = 0; k < 3; ++k) {
        print_text(others[k].name, width);
        printf("  %10s  %11.5g  %8.2f\n", "", others[k].at.cost, 100.0 * others[k].at.quality);
    }
    printf("\nAIQ: router %.2f, zero router %.2f", 100.0 * f->aiq.value, 100.0 * f->zero_aiq.value);
    print_interval(", difference ", f->aiq_gain, " points");
    printf(" over mean costs of %.4g to %.4g\n", f->low, f->high);
    print_interval("at the best single model's cost: ", f->at_leader, " points");
    printf("\n%-28s  %11s  %9s  %-20s  %s\n", "of its quality", "router's cost", "zero's", "router saves", "");
    for (int k = 0; k < LOCUS_FRONTIER_LEVELS; ++k) {
        printf("%5d %%: score %6.2f %%        ", share[k], 100.0 * f->level[k]);
        printf("  %11s  %9s  ", cost_text(t[0], f->cost[k].value), cost_text(t[1], f->zero_cost[k]));
        if (is_finite(f->saving[k].value)) {
            printf("%.1f %%", 100.0 * f->saving[k].value);
            if (is_finite(f->saving[k].high))
                printf(" (%s to %.1f)", figure(t[0], f->saving[k].low, 100.0, 1), 100.0 * f->saving[k].high);
            printf("\n");
        } else printf("-\n");
    }
}
