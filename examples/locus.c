// SPDX-License-Identifier: MIT
// The command line in one file, for compilers and scripts that want one: the files of the folder locus, one after
// another. See locus/main.c.
//
//     cc -O2 examples/locus.c -o build/locus -lm -pthread

#include "locus/library.c"
#include "locus/session.c"
#include "locus/flags.c"
#include "locus/output.c"
#include "locus/text.c"
#include "locus/arrays.c"
#include "locus/pool.c"
#include "locus/costs.c"
#include "locus/sample.c"
#include "locus/svg.c"
#include "locus/layout.c"
#include "locus/pictures.c"
#include "locus/info.c"
#include "locus/embed.c"
#include "locus/train.c"
#include "locus/route.c"
#include "locus/eval.c"
#include "locus/frontier.c"
#include "locus/compare.c"
#include "locus/neighbours.c"
#include "locus/portfolio.c"
#include "locus/evidence.c"
#include "locus/update.c"
#include "locus/atlas.c"
#include "locus/atlas_page.c"
#include "locus/main.c"
