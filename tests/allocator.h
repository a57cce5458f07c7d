// Where the library's object for the tests gets memory: see harness.h. Included before locus.h.
#include <stddef.h>
void *test_malloc(size_t bytes);
void test_free(void *p);
#define LOCUS_MALLOC(bytes) test_malloc(bytes)
#define LOCUS_FREE(pointer) test_free(pointer)
