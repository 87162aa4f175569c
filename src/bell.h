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

/* How a process hears a bell: goes from process to process with the memory. */
typedef struct spork__ear {
    spork_native berth;
    spork__chime chime; /* none: it cannot be waited on together with others, but on Windows */
} spork__ear;

#ifndef __cplusplus

#include <stdatomic.h>

/* In shared memory; zero: nobody sleeps. Should have a cache line to itself. */
typedef struct spork__bell {
    _Atomic uint32_t word;
} spork__bell;
enum { SPORK__BELL_PARKED = 1, SPORK__BELL_POLLED = 2, SPORK__BELL_SEVERAL = 4 };
enum {
    SPORK__BELL_AWAITED = 3, /* who has announced itself since the last ring */
    SPORK__BELL_ASLEEP = 7   /* and perhaps those whom that ring has left asleep */
};

/* Any number of processes may announce themselves at once. What was made before a ring is seen by who looks after the
 * announcement, or the ring finds the announcement. */
uint32_t spork__bell_announce(spork__bell *bell);
/* The same by somebody who will not sleep here, but wait on the handle that spork__bell_handle tells. */
void spork__bell_announce_polling(spork__bell *bell);
spork_native spork__bell_handle(const spork__ear *ear);
/* Wakes those who wait on it. */
void spork__bell_call(spork__bell *bell, const spork__ear *ear);
/* Makes that handle fresh. Others may have been meant: theirs is a bounded sleep. */
void spork__bell_quiet(const spork__ear *ear);
/* Returns when the bell has rung since `ticket`, after `ms`, or for no reason; never later than after 50 ms: a wake-up may
 * be lost with a process that is killed. */
void spork__bell_sleep(spork__bell *bell, const spork__ear *ear, uint32_t ticket, int ms);
/* The same as a cancellation point: for who holds nothing but what `cleanup` gives back. */
static inline void spork__bell_sleep_or_end(spork__bell *bell, const spork__ear *ear,
                                            uint32_t ticket, int ms, const spork__cleanup *cleanup)
{
    spork__os_cancel_allow(cleanup);
    spork__bell_sleep(bell, ear, ticket, ms);
    spork__os_cancel_forbid();
}

/* Has somebody announced itself since the last ring? */
static inline bool spork__bell_awaited(const spork__bell *bell)
{
    return (atomic_load_explicit(&bell->word, memory_order_relaxed) & SPORK__BELL_AWAITED) != 0;
}

void spork__bell_wake(spork__bell *bell, const spork__ear *ear, uint32_t seen);
/* After the change. Wakes all who sleep. */
static inline void spork__bell_ring(spork__bell *bell, const spork__ear *ear)
{
    uint32_t seen = atomic_fetch_or_explicit(&bell->word, 0, memory_order_seq_cst); /* not a load: see bell.c */
    if (seen & SPORK__BELL_ASLEEP) spork__bell_wake(bell, ear, seen);
}

/* What the ringer sees where an atomic read-modify-write of its thread, of whatever word, stands
 * between the change and this: an x86 has then ordered the two already, and a load will do. */
static inline uint32_t spork__bell_seen_late(spork__bell *bell)
{
#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64) || defined(_M_IX86)
    atomic_signal_fence(memory_order_seq_cst); /* no more than: the compiler must not change their order */
    return atomic_load_explicit(&bell->word, memory_order_seq_cst);
#else
    return atomic_fetch_or_explicit(&bell->word, 0, memory_order_seq_cst);
#endif
}
static inline void spork__bell_ring_late(spork__bell *bell, const spork__ear *ear)
{
    uint32_t seen = spork__bell_seen_late(bell);
    if (seen & SPORK__BELL_ASLEEP) spork__bell_wake(bell, ear, seen);
}

/* For sleepers of whom any will do, as workers for a task: wakes one of those who park, and all who
 * wait on the handle. Who was asleep stands in for the others, whose mark the ring has taken away,
 * before it looks: by an announcement of its own, or by the call below. A wake-up that dies with
 * its receiver, or is stopped with it, costs the others their bound. */
void spork__bell_wake_one(spork__bell *bell, const spork__ear *ear, uint32_t seen);
/* Announces the others if there are any. */
static inline void spork__bell_stand_in(spork__bell *bell)
{
    if (atomic_load_explicit(&bell->word, memory_order_relaxed) & SPORK__BELL_SEVERAL)
        spork__bell_announce(bell);
}
static inline void spork__bell_ring_one(spork__bell *bell, const spork__ear *ear)
{
    uint32_t seen = atomic_fetch_or_explicit(&bell->word, 0, memory_order_seq_cst);
    if (seen & SPORK__BELL_AWAITED) spork__bell_wake_one(bell, ear, seen);
}
static inline void spork__bell_ring_one_late(spork__bell *bell, const spork__ear *ear)
{
    uint32_t seen = spork__bell_seen_late(bell);
    if (seen & SPORK__BELL_AWAITED) spork__bell_wake_one(bell, ear, seen);
}

#endif
#endif
