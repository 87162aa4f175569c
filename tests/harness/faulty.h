/* Uses of the library in which something fails on purpose, for faulty_test.cpp: each makes objects, does with them what they are for,
 * and frees them. */
#ifndef SPORK_HARNESS_FAULTY_H
#define SPORK_HARNESS_FAULTY_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct faulty_use {
    const char *name;
    /* The first status that was not SPORK_OK, which spork_error() explains; SPORK_INTERNAL: something was done, but wrongly. */
    spork_status (*run)(void);
    bool everywhere; /* its other threads do the work, and are to meet the faults */
} faulty_use;

const faulty_use *faulty_uses(size_t *count);
/* Removes what a use may leave that was not allowed to remove it. To be called while nothing fails. */
void faulty_tidy(void);

#ifdef __cplusplus
}
#endif
#endif
