// SPDX-License-Identifier: MIT
// Everything in the caller's memory: parse, load, embed, pool, predict, route without a heap. For check_builds.sh.

#define LOCUS_NO_MALLOC
#define LOCUS_IMPLEMENTATION
#include "locus.h"
#include <stdio.h>
#include <string.h>
static unsigned char file[1 << 20], names[1 << 20], net_memory[1 << 20], pool_memory[1 << 20], work[1 << 22];
static locus_error err;
static int bad(const char *what)
{
    printf("%s: %s\n", what, err.message);
    return 1;
}
int main(int argc, char **argv)
{
    size_t bytes, i;
    FILE *in = argc > 1 ? fopen(argv[1], "rb") : NULL;
    locus_safetensors st;
    locus_net *net;
    locus_pool *pool;
    locus_evals e;
    locus_model m;
    locus_queries q;
    locus_choice c;
    float enc[3 * 8], y[3] = {0.0f, 1.0f, 1.0f}, z[16], logit;
    locus_run run;
    if (!in) return bad("no file");
    bytes = fread(file, 1, sizeof file, in);
    fclose(in);
    for (i = 0; i < 24; i++) enc[i] = (float)(i * 7 % 11) * 0.1f - 0.5f;
    memset(&run, 0, sizeof run);
    memset(&e, 0, sizeof e);
    memset(&m, 0, sizeof m);
    memset(&q, 0, sizeof q);
    if (locus_safetensors_parse(&st, file, bytes, NULL, &err) != LOCUS_ERR_MEMORY) return bad("parse without memory");
    run.memory = names;
    run.memory_bytes = sizeof names;
    if (locus_safetensors_parse(&st, file, bytes, &run, &err)) return bad("parse");
    run.memory = net_memory;
    run.memory_bytes = sizeof net_memory;
    if (locus_net_create(&net, &st, &run, &err)) return bad("net");
    q.encodings = enc, q.count = 3, q.dim = 8;
    e.queries = q, e.scores.models = 1, e.scores.f32 = y;
    run.memory = work, run.memory_bytes = sizeof work;
    if (locus_encode(net, &e, z, LOCUS_ENCODE_AUTO, &run, &err)) return bad("encode");
    run.memory = pool_memory, run.memory_bytes = sizeof pool_memory;
    if (locus_pool_create(&pool, net, 2, "q", &run, &err)) return bad("pool");
    strcpy(m.name, "only");
    m.available = 1;
    if (locus_pool_add(pool, &m, z, NULL, &err)) return bad("add");
    q.count = 1;
    run.memory = work;
    run.memory_bytes = sizeof work;
    if (locus_route(pool, &q, NULL, &c, &logit, &run, &err)) return bad("route");
    // what would allocate says that there is no memory
    if (locus_pool_learn(pool, &e, NULL, NULL, &err) != LOCUS_ERR_MEMORY) return bad("learn");
    if (locus_pool_calibrate(pool, &e, NULL, &err) != LOCUS_ERR_MEMORY) return bad("calibrate");
    {
        const locus_parallel *threads;
        locus_texts texts;
        locus_pool *other;
        locus_log *log;
        const char *text[2] = {"one text", "one text"};
        locus_text *encoder;
        if (locus_threads_create(&threads, 2, &err) != LOCUS_ERR_MEMORY) return bad("threads");
        if (locus_texts_parse(&texts, "{\"text\": \"a\"}", 13, NULL, &err) != LOCUS_ERR_MEMORY) return bad("texts");
        if (locus_text_train(&encoder, text, NULL, 2, NULL, NULL, &err) != LOCUS_ERR_MEMORY) return bad("text_train");
        if (locus_pool_resample(&other, pool, &e, NULL, NULL, &err) != LOCUS_ERR_MEMORY) return bad("resample");
        if (locus_pool_copy(&other, pool, NULL, &err) != LOCUS_ERR_MEMORY) return bad("copy");
        if (locus_log_create(&log, net, 4, 1, NULL, &err) != LOCUS_ERR_MEMORY) return bad("log");
    }
    if (c.model != 0 || !(c.probability > 0.0f && c.probability < 1.0f)) return bad("choice");
    locus_pool_destroy(pool);
    locus_net_destroy(net);
    locus_safetensors_close(&st);
    return 0;
}
