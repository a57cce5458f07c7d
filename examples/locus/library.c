// SPDX-License-Identifier: MIT
// The library, compiled once.

#if !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE 1 // POSIX names under -std=c99
#endif
#define LOCUS_IMPLEMENTATION
#include "../../locus.h"
