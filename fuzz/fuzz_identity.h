/* What holds of every reader of images: the answer depends on the bytes alone, not on where they lie, nor on what was there before. */
#ifndef FUZZ_IDENTITY_H
#define FUZZ_IDENTITY_H

#include <stdbool.h>
#include <string.h>

#include "expect.h"
#include "platform.h"

typedef bool fuzz_identify(const void *data, size_t size, uint8_t identity[SPORK__IDENTITY_SIZE]);

static inline int fuzz_identity(const uint8_t *data, size_t size, fuzz_identify *identify)
{
    uint8_t first[SPORK__IDENTITY_SIZE], second[SPORK__IDENTITY_SIZE], none[SPORK__IDENTITY_SIZE] = {0};
    unsigned char *moved = malloc(size + 1); /* an odd address */
    EXPECT(moved != NULL);
    if (size > 0) memcpy(moved + 1, data, size);
    memset(first, 0x5A, sizeof first);
    memset(second, 0xA5, sizeof second);
    bool known = identify(data, size, first);
    EXPECT(identify(moved + 1, size, second) == known);
    if (known) EXPECT(memcmp(first, second, sizeof first) == 0 && memcmp(first, none, sizeof first) != 0);
    free(moved);
    return 0;
}

#endif
