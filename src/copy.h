/* Copies of what may be large. For 2 112 bytes and more, up to the size of a cache, glibc's
 * memcpy takes the processor's string instruction, and some AMD processors (Zen 3) need 14
 * times as long for it if the target lies 1 to 63 bytes behind the source as far as their
 * places in a page go: 22 us instead of 1.5 for 64 KiB. A ring's records come to lie
 * everywhere, so one large message in 64 would meet it, or, of one who keeps them in pages,
 * many more. Pieces below that size are copied by other instructions. */
#ifndef SPORK_COPY_H
#define SPORK_COPY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { SPORK__COPY_PIECE = 2048, SPORK__COPY_WHOLE = 1 << 20 };

static inline bool spork__copy_is_slow(const void *to, const void *from, size_t size)
{
    return size > SPORK__COPY_PIECE && size < SPORK__COPY_WHOLE &&
           ((uintptr_t)to - (uintptr_t)from - 1) % 4096 < 63;
}

static inline void spork__copy(void *to, const void *from, size_t size)
{
    size_t piece = spork__copy_is_slow(to, from, size) ? (size_t)SPORK__COPY_PIECE : size;
    for (size_t done = 0; done < size; done += piece) {
        if (piece > size - done) piece = size - done;
        memcpy((unsigned char *)to + done, (const unsigned char *)from + done, piece);
    }
}

#endif
