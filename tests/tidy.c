// What clang-tidy looks at: the implementation, once.
#define LOCUS_IMPLEMENTATION
#include "../locus.h"
