// SPDX-License-Identifier: MIT
// The functions of the route-only build (tests/compact.c) beside those of the whole library in one program.
#ifndef LOCUS_TEST_COMPACT_H
#define LOCUS_TEST_COMPACT_H

typedef struct compact_build {
    locus_status (*open)(locus_router *, const char *, const locus_run *, locus_error *);
    locus_status (*load)(locus_router *, const void *, size_t, const locus_run *, locus_error *);
    void (*close)(locus_router *);
    size_t (*count)(const locus_router *);
    const char *(*name)(const locus_router *, size_t);
    size_t (*find)(const locus_router *, const char *);
    locus_status (*set_available)(locus_router *, size_t, int, locus_error *);
    locus_status (*set_cost)(locus_router *, size_t, double, locus_error *);
    locus_status (*add)(locus_router *, const char *, const float *, size_t *, const locus_run *, locus_error *);
    locus_status (*route)(const locus_router *, const locus_queries *, const locus_route_opts *, locus_choice *,
                          const locus_run *, locus_error *);
    locus_status (*route_text)(const locus_router *, const char *, size_t, const locus_route_opts *, locus_choice *,
                               const locus_run *, locus_error *);
    locus_status (*encode_text)(const locus_text *, const char *, size_t, float *, const locus_run *, locus_error *);
    locus_status (*encode)(const locus_net *, const locus_evals *, float *, const locus_run *, locus_error *);
    double (*probability)(double);
} compact_build;

extern const compact_build compact;

#endif
