// SPDX-License-Identifier: MIT
// locus info: what a file holds.

#include "locus_tool.h"

static void info_net(const session *s)
{
    const locus_net_info *i = &s->info;
    const char *kind = i->encoder_kind == LOCUS_SAB ? "sab" : "isab";
    char hash[20];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)i->hash);
    if (s->opt.json) {
        json(",'net':{'q_dim':%u,'z_dim':%u,'n_heads':%u,'n_layers':%u,'m_induce':%u,'decoder_hidden':%u,", i->q_dim,
             i->z_dim, i->n_heads, i->n_layers, i->m_induce, i->decoder_hidden);
        json("'encoder_kind':%s,'has_encoder':%b,'hash':%s,'query_encoder':%s,'parameters':%u,'bytes':%u,'isa':%s}",
             kind, i->has_encoder, hash, i->query_encoder, i->parameters, i->bytes, locus_isa_name(i->isa));
        return;
    }
    printf("\nnet\n  queries        q_dim %zu, query encoder: ", i->q_dim);
    print_text(i->query_encoder[0] ? i->query_encoder : "not named", 0);
    printf("\n  embeddings     z_dim %zu\n", i->z_dim);
    if (!i->has_encoder) printf("  encoder        none: it can predict and route, not embed\n");
    else if (i->encoder_kind == LOCUS_SAB)
        printf("  encoder        sab, %zu layers, %zu heads\n", i->n_layers, i->n_heads);
    else
        printf("  encoder        isab, %zu layers, %zu heads, %zu inducing vectors\n", i->n_layers, i->n_heads,
               i->m_induce);
    printf("  predictor      hidden width %zu\n", i->decoder_hidden);
    printf("  weights        %zu, %.1f MB in memory, %s kernels\n", i->parameters, 1e-6 * (double)i->bytes,
           locus_isa_name(i->isa));
    printf("  hash           %s\n", hash);
}

// Element i of a tensor F64.
static double double_at(const locus_tensor *t, size_t i)
{
    const unsigned char *b = (const unsigned char *)t->data + 8 * i;
    uint64_t bits = 0;
    double v;
    for (int k = 7; k >= 0; --k) bits = bits << 8 | b[k];
    memcpy(&v, &bits, sizeof v);
    return v;
}

// The models of a pool file whose net is not at hand, from its tensors (see >>pool in locus.h).
static int read_pool(session *s, locus_model **models, size_t *count)
{
    const locus_safetensors *st = &s->net_file;
    const locus_tensor *z = locus_safetensors_find(st, "pool.embeddings"), *t[5];
    static const char *const names[] = {"pool.names", "pool.parameters_b", "pool.cost", "pool.available",
                                        "pool.evaluations"};
    static const locus_dtype dtypes[] = {LOCUS_U8, LOCUS_F32, LOCUS_F64, LOCUS_U8, LOCUS_I64};
    size_t m = z->shape[0], at = 0;
    for (int k = 0; k < 5; ++k) {
        t[k] = locus_safetensors_find(st, names[k]);
        if (!t[k] || (t[k]->dtype != dtypes[k] && !(k == 2 && t[k]->dtype == LOCUS_F32)) || t[k]->rank != 1 ||
            (k && t[k]->count != m))
            return fail(s, "%s: %s: missing, or not of the shape and type of a pool's", s->opt.file, names[k]);
    }
    if (!(*models = (locus_model *)take(s, m, sizeof **models))) return FAILED;
    *count = m;
    const char *text = (const char *)t[0]->data;
    for (size_t i = 0; i < m; ++i) {
        locus_model *model = &(*models)[i];
        const unsigned char *e = (const unsigned char *)t[4]->data + 8 * i;
        size_t n = 0;
        while (at + n < t[0]->bytes && text[at + n]) ++n;
        if (at + n == t[0]->bytes || n >= sizeof model->name)
            return fail(s, "%s: pool.names: expected %zu names", s->opt.file, m);
        memcpy(model->name, text + at, n);
        at += n + 1;
        float cost = NAN;
        if (locus_tensor_to_f32(t[1], i, 1, &model->parameters_b, &s->err) ||
            locus_tensor_to_f32(t[2], i, 1, &cost, &s->err))
            return fail_library(s, "", s->opt.file);
        model->cost = t[2]->dtype == LOCUS_F64 ? double_at(t[2], i) : (double)cost;
        model->available = ((const unsigned char *)t[3]->data)[i];
        for (int b = 7; b >= 0; --b) model->evaluations = model->evaluations << 8 | e[b];
    }
    return DONE;
}

// What a file's memory is: scalars, of which files before 0.4 have two, sizes, and whether there is one.
typedef struct memory_said {
    size_t landmarks, queries;
    float scalars[6]; // weight, mean, pull, own, noise, rest
    int now;          // 1: as this version makes them; 0: of version 0.2 or 0.3
} memory_said;

static int read_memory(session *s, memory_said *out)
{
    const locus_tensor *landmarks = locus_safetensors_find(&s->net_file, "memory.landmarks");
    const locus_tensor *known = locus_safetensors_find(&s->net_file, "memory.known");
    const locus_tensor *scalars = locus_safetensors_find(&s->net_file, "memory.scalars");
    memset(out, 0, sizeof *out);
    if (!landmarks || !known || !scalars || (scalars->count != 2 && scalars->count != 6)) return 0;
    out->landmarks = landmarks->shape[0];
    out->queries = known->shape[0];
    out->now = scalars->count == 6;
    return locus_tensor_to_f32(scalars, 0, scalars->count, out->scalars, &s->err) == LOCUS_OK;
}

static int info_pool(session *s)
{
    memory_said memory;
    locus_model *models = NULL;
    size_t m = 0;
    const char *encoder = locus_safetensors_meta(&s->net_file, "locus.query_encoder");
    const char *hash = locus_safetensors_meta(&s->net_file, "locus.net_hash");
    const locus_tensor *guard = locus_safetensors_find(&s->net_file, "pool.guard");
    size_t guarding = SIZE_MAX;
    double margin = 0.0;
    int width = 5;
    if (read_pool(s, &models, &m)) return FAILED;
    if (guard && guard->dtype == LOCUS_F64 && guard->count == 2) {
        double index = double_at(guard, 0);
        margin = double_at(guard, 1);
        if (index >= 0.0 && index < (double)m) guarding = (size_t)index;
    }
    if (!encoder) encoder = "";
    if (!hash) hash = "";
    if (s->opt.json) {
        json(",'pool':{'net_hash':%s,'query_encoder':%s,'guard':", hash, encoder);
        if (guarding == SIZE_MAX) json("null");
        else json("{'model':%s,'margin':%d}", models[guarding].name, margin);
        json(",'memory':");
        if (!read_memory(s, &memory)) json("null");
        else
            json("{'landmarks':%u,'queries':%u,'weight':%f,'gives':%s}", memory.landmarks, memory.queries,
                 (double)memory.scalars[0], memory.now ? "chances" : "logits");
        json(",'models':[");
        for (size_t i = 0; i < m; ++i)
            json("%c{'name':%s,'params_b':%f,'cost':%d,'available':%b,'evaluations':%u}", i > 0, models[i].name,
                 (double)models[i].parameters_b, models[i].cost, models[i].available, (size_t)models[i].evaluations);
        json("]}");
        return DONE;
    }
    printf("\npool\n  models         %zu\n  made with      net ", m);
    print_text(hash, 0);
    printf(", query encoder: ");
    print_text(encoder[0] ? encoder : "not named", 0);
    if (read_memory(s, &memory))
        printf("\n  memory         of %zu queries, %zu landmarks, weight %.2g%s", memory.queries, memory.landmarks,
               (double)memory.scalars[0], memory.now ? "" : " (made by version 0.3 or before)");
    if (guarding != SIZE_MAX) {
        printf("\n  guard          ");
        print_text(models[guarding].name, 0);
        printf(" stays unless another gains more than %.4g", margin);
    }
    for (size_t i = 0; i < m; ++i)
        if (text_width(models[i].name) > width) width = text_width(models[i].name);
    printf("\n\n  %5s  ", "index");
    print_text("model", width);
    printf("  %10s  %10s  %9s  %11s\n", "params (B)", "cost", "available", "evaluations");
    for (size_t i = 0; i < m && (i < 40 || s->opt.all); ++i) {
        char parameters[32] = "-", evaluations[32] = "-", cost[32];
        if (!is_nan(models[i].parameters_b))
            snprintf(parameters, sizeof parameters, "%g", (double)models[i].parameters_b);
        if (models[i].evaluations) snprintf(evaluations, sizeof evaluations, "%zu", (size_t)models[i].evaluations);
        printf("  %5zu  ", i);
        print_text(models[i].name, width);
        printf("  %10s  %10s  %9s  %11s\n", parameters, cost_text(cost, models[i].cost),
               models[i].available ? "yes" : "no", evaluations);
    }
    if (m > 40 && !s->opt.all) printf("  ... and %zu more (--all)\n", m - 40);
    return DONE;
}

static void info_tensors(const session *s)
{
    const locus_safetensors *st = &s->net_file;
    size_t count = st->tensor_count, shown = s->opt.all || count <= 8 ? count : 8;
    char shape[240];
    if (s->opt.json) {
        json(",'metadata':{");
        for (size_t i = 0; i < st->metadata_count; ++i)
            json("%c%s:%s", i > 0, st->metadata[i].key, st->metadata[i].value);
        json("},'tensors':[");
        for (size_t i = 0; i < count; ++i) {
            const locus_tensor *t = &st->tensors[i];
            json("%c{'name':%s,'dtype':%s,'bytes':%u,'shape':", i > 0, t->name, t->dtype_name, t->bytes);
            printf("%s}", shape_text(t->shape, t->rank, shape));
        }
        json("]");
        return;
    }
    for (size_t i = 0; s->opt.all && i < st->metadata_count; ++i) {
        printf(i ? "  " : "\nmetadata\n  ");
        print_text(st->metadata[i].key, 24);
        printf("  ");
        print_text(st->metadata[i].value, 0);
        putchar('\n');
    }
    for (size_t i = 0; i < shown; ++i) {
        const locus_tensor *t = &st->tensors[i];
        printf(i ? "  " : "\ntensors\n  ");
        print_text(t->name, 40);
        printf("  %-6s  %s\n", t->dtype_name, shape_text(t->shape, t->rank, shape));
    }
    if (shown < count) printf("  ... and %zu more (--all)\n", count - shown);
}

static int info_npy(session *s)
{
    const char *path = s->opt.file;
    locus_array *a = &s->arrays[0];
    float values[4096];
    const size_t batch = sizeof values / sizeof *values;
    double low = INFINITY, high = -INFINITY;
    size_t nan = 0, infinite = 0;
    char shape[240];
    if (locus_npy_open(a, path, &s->err)) return fail_library(s, "", path);
    s->array_count = 1;
    for (size_t i = 0; i < a->count; i += batch) {
        size_t n = a->count - i < batch ? a->count - i : batch;
        if (locus_array_to_f32(a, i, n, values, &s->err)) return fail_library(s, "", path);
        for (size_t k = 0; k < n; ++k) {
            double v = (double)values[k];
            nan += is_nan(v) != 0;
            infinite += !is_finite(v) && !is_nan(v);
            if (v < low) low = v;
            if (v > high) high = v;
        }
    }
    shape_text(a->shape, a->rank, shape);
    if (s->opt.json) {
        json("{'file':%s,'kind':'npy','dtype':%s,'min':%d,'max':%d,'nan':%u,'infinite':%u,'shape':", path,
             dtype_name(a->dtype), low, high, nan, infinite);
        printf("%s}\n", shape);
        return DONE;
    }
    print_text(path, 0);
    printf(": array, %s %s\n", dtype_name(a->dtype), shape);
    if (a->count > nan) printf("  values         %g to %g\n", low, high);
    if (nan || infinite) printf("  not finite     %zu NaN, %zu infinite\n", nan, infinite);
    return DONE;
}

// What the file holds: net, pool, both (a router file), other tensors, or an array.
static int run_info(session *s)
{
    const char *path = s->opt.file;
    if (is_npy(path)) return info_npy(s);
    if (locus_safetensors_open(&s->net_file, path, &s->err)) return fail_library(s, "", path);
    s->net_file_open = 1;
    int has_net = locus_safetensors_find(&s->net_file, "decoder.U.weight") != NULL;
    int has_pool = locus_safetensors_find(&s->net_file, "pool.embeddings") != NULL;
    const char *kind = has_net && has_pool ? "router" : has_net ? "net" : has_pool ? "pool" : "safetensors";
    if (has_net) {
        if (make_net(s, "", path)) return FAILED;
        if (has_pool && locus_pool_load(&s->pool, s->net, &s->net_file, NULL, &s->err))
            return fail_library(s, "", path);
    }
    if (s->opt.json) {
        json("{'file':%s,'kind':%s,'file_bytes':%u", path, kind, s->net_file.file.bytes);
    } else {
        print_text(path, 0);
        printf(": %s, %zu bytes\n", kind, s->net_file.file.bytes);
    }
    if (has_net) info_net(s);
    if (has_pool && info_pool(s)) return FAILED;
    info_tensors(s);
    if (s->opt.json) json("}\n");
    return DONE;
}

static const flag info_flags[] = {
    {"FILE", "", POSITION, AT(file), 1, "a net, pool, router file, any .safetensors, or an .npy array"},
    {"--all", "", SWITCH, AT(all), 0, "all models, tensors and metadata, not just the first"},
    {"--json", "", SWITCH, AT(json), 0, "as JSON"},
    COMMON_FLAGS};

const command info_command = {"info", "Say what a file holds: net, pool, router file, tensors or an array.", info_flags,
                              run_info, "Example:\n  locus info router.safetensors\n"};
