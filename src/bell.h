/* The bell: how one process sleeps until another has changed something in shared memory. The truth is in that memory; a bell only
 * ends sleep, sometimes for nothing. Ringing costs a look at one word while nobody sleeps.
 *
 *     who waits                                     who changes
 *     while (!there_is(thing)) {                    make(thing);
 *         ticket = spork__bell_announce(bell);      spork__bell_ring(bell);
 *         if (there_is(thing)) break;
 *         spork__bell_sleep(bell, ticket, ms);
 *     } */
#ifndef SPORK_BELL_H
#define SPORK_BELL_H

#include "fault.h"
#include "platform.h"

#ifndef __cplusplus

#include <stdatomic.h>

/* In shared memory; zero: nobody sleeps. Should have a cache line to itself. */
typedef struct spork__bell {
    _Atomic uint32_t word;
} spork__bell;

/* Any number of processes may announce themselves at once. What was made before a ring is seen by who looks after the
 * announcement, or the ring finds the announcement. */
uint32_t spork__bell_announce(spork__bell *bell);
/* Returns when the bell has rung since `ticket`, after `ms`, or for no reason; never later than after 50 ms: a wake-up may
 * be lost with a process that is killed. */
void spork__bell_sleep(spork__bell *bell, spork_native berth, uint32_t ticket, int ms);

void spork__bell_wake(spork__bell *bell, spork_native berth, uint32_t seen);
/* After the change. Wakes all who sleep. */
static inline void spork__bell_ring(spork__bell *bell, spork_native berth)
{
    atomic_thread_fence(memory_order_seq_cst); /* the change, before the look at who sleeps */
    uint32_t seen = atomic_load_explicit(&bell->word, memory_order_relaxed);
    if (seen & 1) spork__bell_wake(bell, berth, seen);
}

#endif
#endif
