// SPDX-License-Identifier: MIT
// The route-only build, for test_compact.c: everything is static but the table of its functions.

#include "allocator.h"
#define LOCUS_INFERENCE_ONLY
#define LOCUS_MESSAGES
#define LOCUS_STATIC
#define LOCUS_IMPLEMENTATION
#include "../locus.h"

#include "compact.h"

const compact_build compact = {locus_router_open, locus_router_load,  locus_router_close,         locus_router_count,
                               locus_router_name, locus_router_find,  locus_router_set_available, locus_router_set_cost,
                               locus_router_add,  locus_router_route, locus_router_route_text,    locus_encode_text,
                               locus_encode,      locus_probability};
