/* What must hold whatever the bytes are: else the fuzzer has found something. */
#ifndef FUZZ_EXPECT_H
#define FUZZ_EXPECT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <spork/base.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #condition, spork_error());                \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

#endif
