/* The lock that users see, in the shared memory of a lock, an rlock or a condition: a robust lock (robust.h) that knows which thread has
 * it, and whether what it protects is whole. */
#ifndef SPORK_MUTEX_H
#define SPORK_MUTEX_H

#include "holder.h"
#include "robust.h"

#ifndef __cplusplus

/* Zero: free and whole. */
typedef struct spork__mutex {
    spork__robust word;
    uint32_t hands_on;       /* after its owner's death it is free; written once */
    _Atomic uint64_t holder; /* the user's thread that has it; 0: none, also while Spork itself does */
    _Atomic uint64_t torn;   /* who died with it, until that is repaired; 0: whole */
    _Atomic uint32_t depth;  /* the owner's, of an rlock */
} spork__mutex;

/* Gives up what spork__mutex_enter took. */
void spork__mutex_leave(spork__mutex *m, spork_native berth);

static inline bool spork__mutex_is_mine(const spork__mutex *m)
{
    return atomic_load_explicit(&m->holder, memory_order_relaxed) == spork__holder_self();
}

static inline void spork__mutex_set_holder(spork__mutex *m, uint64_t holder)
{
    atomic_signal_fence(memory_order_seq_cst); /* the compiler does not mix it with what is protected */
    atomic_store_explicit(&m->holder, holder, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

/* What acquire and release are where nobody else wants it and all is well; `self`: spork__holder_self(). false: nothing was done. */
static inline bool spork__mutex_take(spork__mutex *m, spork_native berth, uint64_t self)
{
    uint32_t none = 0, me = spork__holder_id(self);
    if (me == 0 ||
        !atomic_compare_exchange_strong_explicit(&m->word.word, &none, me, memory_order_acq_rel, memory_order_relaxed))
        return false;
    spork__at(SPORK__AT_ROBUST_TAKEN);
    if (atomic_load_explicit(&m->torn, memory_order_relaxed) != 0) {
        spork__mutex_leave(m, berth);
        return false;
    }
    spork__mutex_set_holder(m, self);
    return true;
}
static inline bool spork__mutex_give(spork__mutex *m, spork_native berth, uint64_t self)
{
    if (atomic_load_explicit(&m->holder, memory_order_relaxed) != self ||
        atomic_load_explicit(&m->torn, memory_order_relaxed) != 0)
        return false;
    spork__at(SPORK__AT_MUTEX_WHOLE);
    spork__mutex_set_holder(m, 0);
    spork__robust_release(&m->word, berth);
    return true;
}

/* The verbs of users; the sentences are set, but for the name of the call. */
spork_status spork__mutex_acquire(spork__mutex *m, spork_native berth, int timeout_ms);
spork_status spork__mutex_recover(spork__mutex *m, spork_native berth, int timeout_ms);
spork_status spork__mutex_release(spork__mutex *m, spork_native berth);
/* What release says to who has not got it. */
spork_status spork__mutex_not_mine(const spork__mutex *m);

/* For Spork's own needs, whether it is whole or torn: what else lies in that memory is consistent at every moment. */
spork_status spork__mutex_enter(spork__mutex *m, spork_native berth, int timeout_ms);
/* From within: it becomes the user's. SPORK_OWNER_DIED: it is torn, and was left. */
spork_status spork__mutex_keep(spork__mutex *m, spork_native berth);
/* From a user's hold to Spork's. */
void spork__mutex_take_back(spork__mutex *m);

/* As if its owner, this process, had died: its thread ends, or frees the lock. */
void spork__mutex_desert(spork__mutex *m, spork_native berth);

#endif
#endif
