// SPDX-License-Identifier: MIT
// locus info: what a file holds: net, pool, both (a router file), other tensors, or an array.

#include "locus_tool.h"

enum { MOST_MODELS = 40, MOST_TENSORS = 8 }; // listed without --all

static void info_net(void)
{
    const locus_net_info *i = &tool.info;
    const char *hash = phrase("%016llx", (unsigned long long)i->hash);
    if (opt.json) {
        json("'net':{'q_dim':%u,'z_dim':%u,'n_heads':%u,'n_layers':%u,'m_induce':%u,'decoder_hidden':%u", i->q_dim,
             i->z_dim, i->n_heads, i->n_layers, i->m_induce, i->decoder_hidden);
        json("'encoder_kind':%s,'has_encoder':%b,'hash':%s,'query_encoder':%s,'parameters':%u,'bytes':%u,'isa':%s}",
             i->encoder_kind == LOCUS_SAB ? "sab" : "isab", i->has_encoder, hash, i->query_encoder, i->parameters,
             i->bytes, locus_isa_name(i->isa));
        return;
    }
    say("\nnet\n  queries        q_dim %z, query encoder: %t\n  embeddings     z_dim %z\n", i->q_dim,
        i->query_encoder[0] ? i->query_encoder : "not named", i->z_dim);
    if (!i->has_encoder) say("  encoder        none: it can predict and route, not embed\n");
    else if (i->encoder_kind == LOCUS_SAB) say("  encoder        sab, %z layers, %z heads\n", i->n_layers, i->n_heads);
    else say("  encoder        isab, %z layers, %z heads, %z inducing vectors\n", i->n_layers, i->n_heads, i->m_induce);
    say("  predictor      hidden width %z\n", i->decoder_hidden);
    say("  weights        %z, %.1f MB in memory, %s kernels\n", i->parameters, 1e-6 * (double)i->bytes,
        locus_isa_name(i->isa));
    say("  hash           %s\n", hash);
}

// ------------------------------------------------------------------------------------------------ a pool without a net

// Eight bytes of the tensor, element i.
static uint64_t word_at(const locus_tensor *t, size_t i)
{
    const unsigned char *b = (const unsigned char *)t->data + 8 * i;
    uint64_t bits = 0;
    for (int k = 7; k >= 0; --k) bits = bits << 8 | b[k];
    return bits;
}

static double double_at(const locus_tensor *t, size_t i)
{
    uint64_t bits = word_at(t, i);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

// The models of a pool file whose net is not at hand, from its tensors (see >>pool in locus.h).
static locus_model *read_pool(size_t *count)
{
    enum { NAMES, PARAMETERS, COSTS, AVAILABLE, EVALUATIONS, TENSORS };
    static const char *const names[TENSORS] = {"pool.names", "pool.parameters_b", "pool.cost", "pool.available",
                                               "pool.evaluations"};
    static const locus_dtype dtypes[TENSORS] = {LOCUS_U8, LOCUS_F32, LOCUS_F64, LOCUS_U8, LOCUS_I64};
    const size_t m = *count = locus_safetensors_find(&tool.net_file, "pool.embeddings")->shape[0];
    const locus_tensor *t[TENSORS];
    for (int k = 0; k < TENSORS; ++k) {
        t[k] = locus_safetensors_find(&tool.net_file, names[k]);
        int typed = t[k] && (t[k]->dtype == dtypes[k] || (k == COSTS && t[k]->dtype == LOCUS_F32));
        if (!typed || t[k]->rank != 1 || (k && t[k]->count != m))
            fail("%s: %s: missing, or not of the shape and type of a pool's", opt.file, names[k]);
    }
    locus_model *models = take(m, sizeof *models);
    const char *name = t[NAMES]->data, *end = name + t[NAMES]->bytes;
    for (size_t i = 0; i < m; ++i) {
        locus_model *model = &models[i];
        size_t n = 0;
        float cost = NAN;
        while (name + n < end && name[n]) ++n;
        if (name + n == end || n >= sizeof model->name) fail("%s: pool.names: expected %zu names", opt.file, m);
        memcpy(model->name, name, n);
        name += n + 1;
        must_file(locus_tensor_to_f32(t[PARAMETERS], i, 1, &model->parameters_b, &tool.err), "", opt.file);
        must_file(locus_tensor_to_f32(t[COSTS], i, 1, &cost, &tool.err), "", opt.file);
        model->cost = t[COSTS]->dtype == LOCUS_F64 ? double_at(t[COSTS], i) : (double)cost;
        model->available = ((const unsigned char *)t[AVAILABLE]->data)[i];
        model->evaluations = word_at(t[EVALUATIONS], i);
    }
    return models;
}

// What a file's memory is: scalars, of which files before 0.4 have two, sizes, and whether there is one.
typedef struct memory_said {
    size_t landmarks, queries; // landmarks 0: there is no memory
    float scalars[6];          // weight, mean, pull, own, noise, rest
    int now;                   // 1: as this version makes them; 0: of version 0.2 or 0.3
} memory_said;

static memory_said read_memory(void)
{
    const locus_tensor *landmarks = locus_safetensors_find(&tool.net_file, "memory.landmarks");
    const locus_tensor *known = locus_safetensors_find(&tool.net_file, "memory.known");
    const locus_tensor *scalars = locus_safetensors_find(&tool.net_file, "memory.scalars");
    memory_said x = {0};
    if (!landmarks || !known || !scalars || (scalars->count != 2 && scalars->count != 6)) return x;
    x.queries = known->shape[0];
    x.now = scalars->count == 6;
    if (locus_tensor_to_f32(scalars, 0, scalars->count, x.scalars, &tool.err) == LOCUS_OK)
        x.landmarks = landmarks->shape[0];
    return x;
}

// The model that guards, and its margin; SIZE_MAX: none.
static size_t read_guard(size_t models, double *margin)
{
    const locus_tensor *guard = locus_safetensors_find(&tool.net_file, "pool.guard");
    if (!guard || guard->dtype != LOCUS_F64 || guard->count != 2) return SIZE_MAX;
    double index = double_at(guard, 0);
    *margin = double_at(guard, 1);
    return index >= 0.0 && index < (double)models ? (size_t)index : SIZE_MAX;
}

static const char *metadata(const char *key)
{
    const char *value = locus_safetensors_meta(&tool.net_file, key);
    return value ? value : "";
}

static void info_pool(void)
{
    size_t m;
    double margin = 0.0;
    int width = 5;
    const locus_model *models = read_pool(&m);
    const char *encoder = metadata("locus.query_encoder"), *hash = metadata("locus.net_hash");
    const memory_said memory = read_memory();
    const size_t guard = read_guard(m, &margin);
    if (opt.json) {
        json("'pool':{'net_hash':%s,'query_encoder':%s,'guard':", hash, encoder);
        if (guard == SIZE_MAX) json("null");
        else json("{'model':%s,'margin':%d}", models[guard].name, margin);
        json(",'memory':");
        if (!memory.landmarks) json("null");
        else
            json("{'landmarks':%u,'queries':%u,'weight':%f,'gives':%s}", memory.landmarks, memory.queries,
                 (double)memory.scalars[0], memory.now ? "chances" : "logits");
        json(",'models':[");
        for (size_t i = 0; i < m; ++i)
            json("{'name':%s,'params_b':%f,'cost':%d,'available':%b,'evaluations':%u}", models[i].name,
                 (double)models[i].parameters_b, models[i].cost, models[i].available, (size_t)models[i].evaluations);
        json("]}");
        return;
    }
    say("\npool\n  models         %z\n  made with      net %t, query encoder: %t", m, hash,
        encoder[0] ? encoder : "not named");
    if (memory.landmarks)
        say("\n  memory         of %z queries, %z landmarks, weight %.2g%s", memory.queries, memory.landmarks,
            (double)memory.scalars[0], memory.now ? "" : " (made by version 0.3 or before)");
    if (guard != SIZE_MAX)
        say("\n  guard          %t stays unless another gains more than %.4g", models[guard].name, margin);
    for (size_t i = 0; i < m; ++i)
        if (text_width(models[i].name) > width) width = text_width(models[i].name);
    say("\n\n  %5s  %-*t  %10s  %10s  %9s  %11s\n", "index", width, "model", "params (B)", "cost", "available",
        "evaluations");
    for (size_t i = 0; i < m && (i < MOST_MODELS || opt.all); ++i)
        say("  %5z  %-*t  %10g  %10.6g  %9s  %11s\n", i, width, models[i].name, (double)models[i].parameters_b,
            models[i].cost, models[i].available ? "yes" : "no",
            models[i].evaluations ? phrase("%zu", (size_t)models[i].evaluations) : "-");
    if (m > MOST_MODELS && !opt.all) say("  ... and %z more (--all)\n", m - MOST_MODELS);
}

// ---------------------------------------------------------------------------------------------------- tensors, arrays

static void info_tensors(void)
{
    const locus_safetensors *st = &tool.net_file;
    const size_t count = st->tensor_count, shown = opt.all || opt.json || count <= MOST_TENSORS ? count : MOST_TENSORS;
    if (opt.json) json("'metadata':{");
    for (size_t i = 0; (opt.all || opt.json) && i < st->metadata_count; ++i) {
        if (opt.json) json("%s:%s", st->metadata[i].key, st->metadata[i].value);
        else say("%s%-24t  %t\n", i ? "  " : "\nmetadata\n  ", st->metadata[i].key, st->metadata[i].value);
    }
    if (opt.json) json("},'tensors':[");
    for (size_t i = 0; i < shown; ++i) {
        const locus_tensor *t = &st->tensors[i];
        const char *shape = shape_text(t->shape, t->rank);
        if (opt.json) json("{'name':%s,'dtype':%s,'bytes':%u,'shape':%r}", t->name, t->dtype_name, t->bytes, shape);
        else say("%s%-40t  %-6s  %s\n", i ? "  " : "\ntensors\n  ", t->name, t->dtype_name, shape);
    }
    if (opt.json) json("]");
    if (shown < count) say("  ... and %z more (--all)\n", count - shown);
}

static void info_npy(void)
{
    const locus_array *a = open_any("", opt.file);
    float values[4096];
    const size_t batch = sizeof values / sizeof *values;
    double low = INFINITY, high = -INFINITY;
    size_t nan = 0, infinite = 0;
    for (size_t i = 0; i < a->count; i += batch) {
        size_t n = a->count - i < batch ? a->count - i : batch;
        must_file(locus_array_to_f32(a, i, n, values, &tool.err), "", opt.file);
        for (size_t k = 0; k < n; ++k) {
            double v = (double)values[k];
            nan += (size_t)is_nan(v);
            infinite += !is_finite(v) && !is_nan(v);
            if (v < low) low = v;
            if (v > high) high = v;
        }
    }
    const char *shape = shape_text(a->shape, a->rank);
    if (opt.json) {
        json("{'file':%s,'kind':'npy','dtype':%s,'min':%d,'max':%d,'nan':%u,'infinite':%u,'shape':%r}\n", opt.file,
             dtype_name(a->dtype), low, high, nan, infinite, shape);
        return;
    }
    say("%t: array, %s %s\n", opt.file, dtype_name(a->dtype), shape);
    if (a->count > nan) printf("  values         %g to %g\n", low, high);
    if (nan || infinite) say("  not finite     %z NaN, %z infinite\n", nan, infinite);
}

static void run_info(void)
{
    const char *path = opt.file;
    if (is_npy(path)) {
        info_npy();
        return;
    }
    open_file("", path);
    const int has_net = locus_safetensors_find(&tool.net_file, "decoder.U.weight") != NULL;
    const int has_pool = locus_safetensors_find(&tool.net_file, "pool.embeddings") != NULL;
    const char *kind = has_net && has_pool ? "router" : has_net ? "net" : has_pool ? "pool" : "safetensors";
    if (has_net) make_net("", path);
    if (has_net && has_pool)
        must_file(locus_pool_load(&tool.pool, tool.net, &tool.net_file, NULL, &tool.err), "", path);
    if (opt.json) json("{'file':%s,'kind':%s,'file_bytes':%u", path, kind, tool.net_file.file.bytes);
    else say("%t: %s, %z bytes\n", path, kind, tool.net_file.file.bytes);
    if (has_net) info_net();
    if (has_pool) info_pool();
    info_tensors();
    if (opt.json) json("}\n");
}

static const flag info_flags[] = {
    {"FILE", "", POSITION, AT(file), 1, "a net, pool, router file, any .safetensors, or an .npy array"},
    {"--all", "", SWITCH, AT(all), 0, "all models, tensors and metadata, not just the first"},
    JSON_FLAG,
    COMMON_FLAGS};

const command info_command = {"info", "Say what a file holds: net, pool, router file, tensors or an array.", info_flags,
                              run_info, "Example:\n  locus info router.safetensors\n"};
