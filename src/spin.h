/* The short wait before a sleep: a wake-up costs two processes several system calls and some 50 us, so it pays to look for a moment
 * first, if there are CPUs to spare and it has paid lately. */
#ifndef SPORK_SPIN_H
#define SPORK_SPIN_H

#ifndef __cplusplus

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Returns when the word has another value, or after at most 20 us. */
void spork__spin_while(const _Atomic uint64_t *word, uint64_t value);
/* The same until `ready` says so. `busy`: how many others would like to run meanwhile: if they are too many for the CPUs, they are let run between
 * the looks. */
void spork__spin_until(bool (*ready)(void *user), void *user, unsigned busy);

#endif
#endif
