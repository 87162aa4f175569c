#include "alloc.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "fault.h"
#include "spork_config.h"

/* malloc promises 16 on 64-bit systems only; so each block carries how far it was moved in the bytes before it. */
enum { ALIGNMENT = 16, GRAVES = 64 };

static _Atomic long allocated;

void *spork__alloc(size_t size, const char *what)
{
    unsigned char *raw = NULL;
    if (!spork__fault(SPORK__FAULT_ALLOC) && size < SIZE_MAX - 2 * ALIGNMENT) raw = calloc(1, size + 2 * ALIGNMENT);
    if (raw == NULL) {
        spork__fail(SPORK_NO_MEMORY, "no memory for %zu bytes of %s", size, what);
        return NULL;
    }
    size_t shift = ALIGNMENT - (uintptr_t)raw % ALIGNMENT; /* 1 to 16: always room for the note */
    raw[shift - 1] = (unsigned char)shift;
    if (SPORK_FAULTS) atomic_fetch_add_explicit(&allocated, 1, memory_order_relaxed);
    return raw + shift;
}

static void give_back(unsigned char *at) { free(at - at[-1]); }

void spork__free(void *memory)
{
    if (memory == NULL) return;
    if (SPORK_FAULTS) atomic_fetch_sub_explicit(&allocated, 1, memory_order_relaxed);
    give_back(memory);
}

void spork__free_late(void *memory)
{
    static void *_Atomic graves[GRAVES];
    static atomic_uint next;
    if (memory == NULL) return;
    if (SPORK_FAULTS) atomic_fetch_sub_explicit(&allocated, 1, memory_order_relaxed);
    void *former = atomic_exchange(&graves[atomic_fetch_add(&next, 1) % GRAVES], memory);
    if (former != NULL) give_back(former);
}

char *spork__strdup(const char *text, const char *what)
{
    size_t size = strlen(text) + 1;
    char *copy = spork__alloc(size, what);
    if (copy != NULL) memcpy(copy, text, size);
    return copy;
}

long spork__allocated(void) { return atomic_load_explicit(&allocated, memory_order_relaxed); }
