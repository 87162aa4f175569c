/* The robust lock: one 32-bit word of shared memory that outlives its owner. It holds its owner's participant id (tree.h), is
 * taken by one compare-and-swap, and given up by one. Who waits sleeps for at most 50 ms, and then asks whether the owner
 * lives: a lock whose owner died is taken over, and whoever does so is told.
 *
 * It belongs to a process; among the threads of one process it excludes too, but does not know which of them has it: not
 * recursive, and a thread that ends with it leaves it held. */
#ifndef SPORK_ROBUST_H
#define SPORK_ROBUST_H

#include "fault.h"
#include "platform.h"
#include "tree.h"

#ifndef __cplusplus

#include <stdatomic.h>

typedef struct spork__robust {
    _Atomic uint32_t word; /* 0: free */
} spork__robust;

spork_status spork__robust_acquire_slowly(spork__robust *lock, spork_native berth, int timeout_ms);
spork_status spork__robust_release_slowly(spork__robust *lock, spork_native berth);

/* Takes it if it is free. `me`: this process, of spork__tree_self_at_a_glance(); 0: not known yet,
 * and nothing is taken. */
static inline bool spork__robust_try_as(spork__robust *lock, uint32_t me)
{
    uint32_t none = 0;
    if (me == 0 ||
        !atomic_compare_exchange_strong_explicit(&lock->word, &none, me, memory_order_acq_rel, memory_order_relaxed))
        return false;
    spork__at(SPORK__AT_ROBUST_TAKEN);
    return true;
}
static inline bool spork__robust_try(spork__robust *lock)
{
    return spork__robust_try_as(lock, spork__tree_self_at_a_glance());
}

/* SPORK_OK: held. SPORK_OWNER_DIED: held too, taken over from a dead owner, who may have left what it protects half done.
 * SPORK_TIMEOUT; SPORK_NO_SPACE and SPORK_UNSUPPORTED: this process cannot become a participant. `berth`: the word's
 * (platform.h, park.c). */
static inline spork_status spork__robust_acquire(spork__robust *lock, spork_native berth, int timeout_ms)
{
    return spork__robust_try(lock) ? SPORK_OK : spork__robust_acquire_slowly(lock, berth, timeout_ms);
}

/* SPORK_NOT_OWNER: this process does not hold it, and nothing was changed. */
static inline spork_status spork__robust_release_as(spork__robust *lock, spork_native berth,
                                                    uint32_t me)
{
    spork__at(SPORK__AT_ROBUST_RELEASING);
    if (me == 0 ||
        !atomic_compare_exchange_strong_explicit(&lock->word, &me, 0, memory_order_release, memory_order_relaxed))
        return spork__robust_release_slowly(lock, berth);
    spork__at(SPORK__AT_ROBUST_RELEASED);
    return SPORK_OK;
}
static inline spork_status spork__robust_release(spork__robust *lock, spork_native berth)
{
    return spork__robust_release_as(lock, berth, spork__tree_self_at_a_glance());
}

/* The participant that has it; 0: none. */
uint32_t spork__robust_owner(const spork__robust *lock);

#endif
#endif
