/* The one door for allocation: so that the n-th can be made to fail (fault.h), and counted. */
#ifndef SPORK_ALLOC_H
#define SPORK_ALLOC_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroed, aligned to 16; NULL with SPORK_NO_MEMORY set. `what` is for the sentence. Size 0 gives a pointer too. */
void *spork__alloc(size_t size, const char *what);
void spork__free(void *memory);
/* The same, but what was there can be read until 64 others have been freed so: who still has the pointer learns what it points to. */
void spork__free_late(void *memory);
char *spork__strdup(const char *text, const char *what);
/* Blocks allocated and not freed; 0 in builds without fault injection. */
long spork__allocated(void);

#ifdef __cplusplus
}
#endif
#endif
