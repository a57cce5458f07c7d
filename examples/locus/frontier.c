// SPDX-License-Identifier: MIT
// Quality against money in `locus eval`: the frontier as table, JSON and picture.

#include "eval.h"
#include "pictures.h"

static const int level_share[LOCUS_FRONTIER_LEVELS] = {90, 95, 99, 100}; // per cent of the leader's quality

// ------------------------------------------------------------------------------------------------------------- picture

typedef struct frontier_picture {
    const char *title;
    const replay *r;
    double low, high; // costs; low: the least that is not free
    axis x, y;
    labels l;
} frontier_picture;

static double frontier_x(const frontier_picture *p, double cost)
{
    const double at = p->x.logarithmic ? log10(cost > p->low ? cost : p->low) : cost;
    return axis_at(&p->x, fmin(fmax(at, p->x.low), p->x.high));
}

static double frontier_y(const frontier_picture *p, double quality) { return axis_at(&p->y, fmax(quality, p->y.low)); }

static void see_cost(frontier_picture *p, double cost)
{
    if (is_nan(cost)) return;
    if (cost > 0.0 && cost < p->low) p->low = cost;
    if (cost > p->high) p->high = cost;
}

static void see_costs(frontier_picture *p)
{
    const replay *r = p->r;
    p->low = HUGE_VAL;
    for (size_t i = 0; i < r->frontier.points; ++i) see_cost(p, r->points[i].cost);
    for (size_t m = 0; m < r->models; ++m) see_cost(p, r->singles[m].mean.cost);
    see_cost(p, r->frontier.oracle.cost);
    see_cost(p, r->frontier.leader_mean.cost);
    see_cost(p, r->frontier.random.cost);
}

// The least quality that has a place: the weakest models lie on the floor.
static double frontier_floor(const replay *r)
{
    double low = r->frontier.leader_mean.quality;
    for (size_t i = 0; i < r->frontier.points; ++i) low = fmin(low, r->points[i].quality);
    for (size_t m = 0; m < r->models; ++m) low = fmin(low, r->singles[m].mean.quality);
    return fmax(low, r->frontier.oracle.quality - 0.5);
}

// A line through the corners, level beyond the last.
static void frontier_line(FILE *f, const frontier_picture *p, const locus_tradeoff *points, size_t count,
                          const char *class_names)
{
    enum { STEPS = 24 }; // a mix of two points is no straight line on a logarithmic axis
    fprintf(f, "<polyline class='line %s' points='", class_names);
    for (size_t i = 0; i < count; ++i)
        for (int k = i && p->x.logarithmic ? 1 : STEPS; k <= STEPS; ++k) {
            const locus_tradeoff from = points[i ? i - 1 : 0], to = points[i];
            const double t = (double)k / STEPS;
            fprintf(f, "%.1f,%.1f ", frontier_x(p, from.cost + t * (to.cost - from.cost)),
                    axis_at(&p->y, from.quality + t * (to.quality - from.quality)));
        }
    if (count) fprintf(f, "%.1f,%.1f", p->x.to, axis_at(&p->y, points[count - 1].quality));
    fprintf(f, "'/>\n");
}

static void draw_point(FILE *f, frontier_picture *p, locus_tradeoff at, double r, double room, size_t group,
                       const char *extra, const char *text)
{
    const double x = frontier_x(p, at.cost), y = frontier_y(p, at.quality);
    take_place(&p->l, x, y, room);
    svg_mark(f, x, y, r, group, extra, text);
}

static void draw_points(FILE *f, frontier_picture *p)
{
    const replay *r = p->r;
    for (size_t m = 0; m < r->models; ++m) {
        const locus_single *one = &r->singles[m];
        if (is_nan(one->mean.cost)) continue;
        draw_point(f, p, one->mean, 3.0, 3.0, 7, one->candidate < r->frontier.queries ? "faint" : "",
                   phrase("%s: %.4g, %.1f %%", short_name(model_name(m)), one->mean.cost, 100.0 * one->mean.quality));
    }
    for (size_t i = 0; i < r->frontier.points; ++i) {
        const locus_frontier_point *one = &r->points[i];
        const locus_tradeoff at = {.cost = one->cost, .quality = one->quality};
        draw_point(f, p, at, one->corner ? 4.0 : 2.5, 3.0, 0, "",
                   phrase("lambda %.4g: %.4g, %.1f %%", one->lambda, one->cost, 100.0 * one->quality));
    }
    draw_point(f, p, r->frontier.leader_mean, 5.5, 5.0, 1, "", NULL);
    draw_point(f, p, r->frontier.random, 5.5, 5.0, 4, "", NULL);
    draw_point(f, p, r->frontier.oracle, 5.5, 5.0, 2, "", NULL);
}

// Names of the hull first, then of others where there is room.
static void name_points(FILE *f, frontier_picture *p)
{
    const replay *r = p->r;
    unsigned char *named = take(r->models, 1);
    placed spot;
    for (size_t i = 0; i < r->frontier.zero_corners; ++i) {
        const locus_zero_corner *z = &r->zero[i];
        const double x = frontier_x(p, z->mean.cost), y = axis_at(&p->y, z->mean.quality);
        const char *name = short_name(model_name(z->model));
        const char *text = z->share < 1.0 ? phrase("%s on %.0f %%", name, 100.0 * z->share) : name;
        named[z->model] |= z->share >= 1.0;
        if (z->mean.quality < p->y.low) continue;
        svg_mark(f, x, y, 4.0, 7, "", text);
        if (place_label(&p->l, x, y, 3.0, 12.0, text, &spot)) svg_label(f, &spot, x, y, 12.0, "", text);
    }
    for (size_t m = 0; m < r->models; ++m) {
        const locus_tradeoff at = r->singles[m].mean;
        const char *name = short_name(model_name(m));
        if (named[m] || is_nan(at.cost) || at.quality < p->y.low) continue;
        const double x = frontier_x(p, at.cost), y = axis_at(&p->y, at.quality);
        if (place_label(&p->l, x, y, 3.0, 9.5, name, &spot) && !spot.leader)
            svg_label(f, &spot, x, y, 9.5, "soft", name);
    }
}

static void draw_frontier(FILE *f, const void *picture)
{
    frontier_picture q = *(const frontier_picture *)picture, *p = &q;
    const replay *r = p->r;
    const double left = 76.0, right = left + 940.0, top = 136.0, bottom = top + 520.0;
    const int logarithmic = p->high > 20.0 * p->low;
    locus_tradeoff *corners = take(r->frontier.points, sizeof *corners);
    locus_tradeoff *zero = take(r->frontier.zero_corners, sizeof *zero);
    size_t count = 0;
    for (size_t i = r->frontier.points; i-- > 0;) // from the cheapest
        if (r->points[i].corner)
            corners[count++] = (locus_tradeoff){.cost = r->points[i].cost, .quality = r->points[i].quality};
    for (size_t i = 0; i < r->frontier.zero_corners; ++i) zero[i] = r->zero[i].mean;
    p->y = make_axis(frontier_floor(r), r->frontier.oracle.quality, 7, bottom, top, 1, 0);
    p->x = logarithmic ? make_axis(log10(p->low) - 0.05, log10(p->high) + 0.05, 8, left, right, 0, 1)
                       : make_axis(0.0, p->high, 8, left, right, 0, 0);
    p->x.logarithmic = logarithmic;
    p->l = make_labels(left, top, right + 36.0, bottom, 512);
    svg_open(f, right + 40.0, bottom + 64.0, p->title,
             phrase("%zu queries, %zu models; costs %s", r->frontier.queries, r->models, r->c.source), 0);
    svg_axes(f, &p->x, &p->y, logarithmic ? "mean cost of a query (logarithmic)" : "mean cost of a query",
             "mean score");
    frontier_line(f, p, zero, r->frontier.zero_corners, "dash l7");
    frontier_line(f, p, corners, count, "l0");
    legend g = {f, left, right, left, 78.0};
    legend_entry(&g, 0, "router, at each price of cost");
    legend_entry(&g, 7, "single models (faint: on a part of the queries); dashed: the zero router");
    legend_entry(&g, 1, "best single model");
    legend_entry(&g, 4, "a random model");
    legend_entry(&g, 2, "oracle");
    draw_points(f, p);
    name_points(f, p);
    svg_close(f);
}

// ------------------------------------------------------------------------------------------------------- what it takes

// Are there costs to speak of? Pools of old have 0 for "nobody said".
static int has_costs(const replay *r)
{
    if (r->c.of_query) return 1;
    for (size_t m = 0; m < r->models; ++m)
        if (is_finite(r->own_cost[m]) && r->own_cost[m] > 0.0) return 1;
    return 0;
}

void open_frontier(replay *r)
{
    locus_route_opts rules = r->rules;
    rules.cost = r->own_cost;
    locus_frontier_opts opts = {.rules = &rules,
                                .columns = r->use,
                                .leaders = r->leaders,
                                .leader_count = r->models,
                                .means = r->means,
                                .among = r->among};
    if (opt.weak) {
        opts.weak = find_model("--weak", opt.weak);
        opts.strong = find_model("--strong", opt.strong);
        if (opts.weak == opts.strong) misuse("--weak and --strong name one model twice");
    }
    r->priced = has_costs(r);
    if (!r->priced && opt.svg) misuse("--svg needs costs: --prices or --costs");
    if (!r->priced && !opt.weak) return;
    r->points = take(64, sizeof *r->points);
    r->singles = take(r->models, sizeof *r->singles);
    r->zero = take(r->models + 64, sizeof *r->zero);
    const locus_status status = locus_frontier_compute(&r->frontier, r->points, r->zero, r->singles, r->logits, r->n,
                                                       &r->g, &opts, &tool.quiet, &tool.err);
    if (status && opt.weak && !r->frontier.gap.queries) fail("--weak, --strong: %s", tool.err.message);
    if (status == LOCUS_ERR_NO_CANDIDATE && !r->c.of_query && !opt.svg) { // nobody asked for it
        r->priced = 0;
        return;
    }
    if (status)
        fail("frontier: %s%s", tool.err.message,
             status == LOCUS_ERR_NO_CANDIDATE && !opt.allow_unpriced ? "; --allow-unpriced takes models of unknown cost"
                                                                     : "");
    if (!opt.svg) return;
    frontier_picture picture = {.r = r,
                                .title = phrase("Quality against cost: AIQ %.2f %%, zero router %.2f %%",
                                                100.0 * r->frontier.aiq.value, 100.0 * r->frontier.zero_aiq.value)};
    see_costs(&picture);
    save_picture(draw_frontier, &picture, picture.title);
}

// ---------------------------------------------------------------------------------------------------------------- JSON

static void json_tradeoff(const char *name, locus_tradeoff x)
{
    json("%s:{'cost':%d,'score':%d}", name, x.cost, x.quality);
}

// Is its cost unknown on all of these queries?
static int is_unpriced(const replay *r, size_t model)
{
    for (size_t i = 0; i < r->n; ++i)
        if (!is_nan(cost_at(r, i, model))) return 0;
    return 1;
}

void json_frontier(const replay *r)
{
    const locus_frontier *f = &r->frontier;
    if (r->priced) {
        json("'frontier':{'queries':%u,'left_out':%u,'costs':%s,'level':0.9,'unpriced':[", f->queries, f->left_out,
             r->c.source);
        for (size_t m = 0; m < r->models; ++m)
            if (is_unpriced(r, m)) json("%s", model_name(m));
        json("],'answer_tokens':%d,'low':%d,'high':%d", r->c.answer_tokens, f->low, f->high);
        json("'aiq':%i,'zero_aiq':%i,'aiq_gain':%i,'at_leader_cost':%i", &f->aiq, &f->zero_aiq, &f->aiq_gain,
             &f->at_leader);
        json_tradeoff("best_single", f->leader_mean);
        json_tradeoff("random", f->random);
        json_tradeoff("oracle", f->oracle);
        json(",'quality':[");
        for (int k = 0; k < LOCUS_FRONTIER_LEVELS; ++k)
            json("{'percent':%d,'score':%d,'zero_cost':%d,'cost':%i,'saving':%i}", (double)level_share[k], f->level[k],
                 f->zero_cost[k], &f->cost[k], &f->saving[k]);
        json("],'points':[");
        for (size_t i = 0; i < f->points; ++i) {
            const locus_frontier_point *p = &r->points[i];
            json("\n{'lambda':%d,'cost':%d,'score':%d,'right':%d,'corner':%b,'less_zero':%i}", p->lambda, p->cost,
                 p->quality, p->right, p->corner, &p->gain);
        }
        json("],'zero':[");
        for (size_t i = 0; i < f->zero_corners; ++i)
            json("\n{'model':%s,'share':%d,'cost':%d,'score':%d}", model_name(r->zero[i].model), r->zero[i].share,
                 r->zero[i].mean.cost, r->zero[i].mean.quality);
        json("],'singles':[");
        for (size_t m = 0; m < r->models; ++m)
            if (r->singles[m].candidate)
                json("\n{'model':%s,'cost':%d,'score':%d,'queries':%u}", model_name(m), r->singles[m].mean.cost,
                     r->singles[m].mean.quality, r->singles[m].candidate);
        json("]}");
    }
    const locus_gap *gap = &f->gap;
    if (opt.weak)
        json("'gap':{'weak':%s,'strong':%s,'queries':%u,'weak_score':%d,'strong_score':%d,'recovered':%i,"
             "'calls_for_half':%d,'calls_for_80_percent':%d}",
             opt.weak, opt.strong, gap->queries, gap->weak, gap->strong, &gap->recovered, gap->calls_half,
             gap->calls_most);
}

// --------------------------------------------------------------------------------------------------------------- table

static void print_gap(const locus_gap *gap)
{
    say("\ngap between %t (%.2f %%) and %t (%.2f %%) on %z queries: ", opt.weak, 100.0 * gap->weak, opt.strong,
        100.0 * gap->strong, gap->queries);
    if (is_nan(gap->recovered.value)) {
        say("there is none to recover\n");
        return;
    }
    say("APGR %.3f", gap->recovered.value);
    if (is_finite(gap->recovered.low) && is_finite(gap->recovered.high))
        say(" (%.3f to %.3f)", gap->recovered.low, gap->recovered.high);
    say(" of 1, random 0.5; half of it for %.1f %% of the calls to the strong one, 80 %% for %.1f %%\n",
        100.0 * gap->calls_half, 100.0 * gap->calls_most);
}

// Not every corner: some are hardly apart.
static int shown_corner(const replay *r, size_t i, size_t *shown)
{
    enum { ROWS = 12 };
    if (!r->points[i].corner) return 0;
    size_t k = (*shown)++, n = r->frontier.corners;
    return n <= ROWS || k == 0 || k * (ROWS - 1) / (n - 1) != (k - 1) * (ROWS - 1) / (n - 1);
}

static void print_tradeoff(int width, const char *name, locus_tradeoff at, const char *more)
{
    say("%-*t  %10s  %11.5g  %8.2f%s", width, name, "", at.cost, 100.0 * at.quality, more);
}

static void print_corners(const replay *r)
{
    const locus_frontier *f = &r->frontier;
    const int width = longest_name() > 18 ? longest_name() : 18;
    size_t shown = 0;
    say("%-*t  %10s  %11s  %8s  %s\n", width, "", "lambda", "mean cost", "score, %",
        "less zero router at that cost, points");
    for (size_t i = 0; i < f->points; ++i) {
        const locus_frontier_point *p = &r->points[i];
        if (!shown_corner(r, i, &shown)) continue;
        say("%-*t  %10.4g  %11.5g  %8.2f  ", width, "router", p->lambda, p->cost, 100.0 * p->quality);
        if (is_finite(p->gain.value)) print_points("", &p->gain, "");
        else say("-");
        say("\n");
    }
    for (size_t i = f->zero_corners; i-- > 0;) { // from the dearest
        const locus_zero_corner *z = &r->zero[i];
        print_tradeoff(width, model_name(z->model), z->mean, "  zero router");
        if (z->share < 1.0) say(", this one on %.1f %% of the queries", 100.0 * z->share);
        say("\n");
    }
    print_tradeoff(width, "best single model", f->leader_mean, "\n");
    print_tradeoff(width, "a random model", f->random, "\n");
    print_tradeoff(width, "oracle", f->oracle, "\n");
}

void print_frontier(const replay *r)
{
    const locus_frontier *f = &r->frontier;
    if (opt.weak) print_gap(&f->gap);
    if (!r->priced) return;
    say("\nquality against mean cost; costs %s", r->c.source);
    if (f->left_out) say("; %z queries without a candidate of known cost are left out", f->left_out);
    say("\n");
    print_corners(r);
    say("\nAIQ: router %.2f, zero router %.2f", 100.0 * f->aiq.value, 100.0 * f->zero_aiq.value);
    print_points(", difference ", &f->aiq_gain, " points");
    say(" over mean costs of %.4g to %.4g\n", f->low, f->high);
    print_points("at the best single model's cost: ", &f->at_leader, " points");
    say("\n%-28s  %11s  %9s  %-20s  %s\n", "of its quality", "router's cost", "zero's", "router saves", "");
    for (int k = 0; k < LOCUS_FRONTIER_LEVELS; ++k) {
        const locus_interval *saving = &f->saving[k];
        say("%5d %%: score %6.2f %%          %11.6g  %9.6g  ", level_share[k], 100.0 * f->level[k], f->cost[k].value,
            f->zero_cost[k]);
        if (is_finite(saving->value)) say("%.1f %%", 100.0 * saving->value);
        else say("-");
        if (is_finite(saving->value) && is_finite(saving->high))
            say(" (%.1f to %.1f)", 100.0 * saving->low, 100.0 * saving->high);
        say("\n");
    }
}
