/* fuzz.h: what every fuzz target defines, and how it says that something must not be. */
#ifndef SALLYPORT_TESTS_FUZZ_H
#define SALLYPORT_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Kept in every build, unlike assert. */
#define MUST(condition) ((condition) ? (void)0 : abort())

#endif
