/* Who holds something: a participant of the tree, and which of its threads. */
#ifndef SPORK_HOLDER_H
#define SPORK_HOLDER_H

#include "tree.h"

#ifndef __cplusplus

/* This thread's number in its process; 0: it has none yet. */
extern _Thread_local uint32_t spork__thread_mark;
uint32_t spork__thread_number_first(void);

/* The calling thread's number, from 1: no other thread of this process ever has the same (up to 2^32 of them). */
static inline uint32_t spork__thread_number(void)
{
    uint32_t number = spork__thread_mark;
    return number != 0 ? number : spork__thread_number_first();
}

/* participant << 32 | thread; of a process that is no participant yet it equals nobody's. */
static inline uint64_t spork__holder_self(void)
{
    uint32_t me = spork__tree_self_at_a_glance();
    if (me == 0) me = spork__tree_self_known();
    return (uint64_t)me << 32 | spork__thread_number();
}

static inline uint32_t spork__holder_id(uint64_t holder) { return (uint32_t)(holder >> 32); }

/* "Process-3 (pid 812)", "another thread of this process, MainProcess (pid 811),", "this thread". 0: "somebody". */
void spork__holder_text(uint64_t holder, char *text, size_t size);

/* Is called at the end of each thread that has a number, by it. */
void spork__at_thread_end(void (*fn)(uint32_t number));

#endif
#endif
