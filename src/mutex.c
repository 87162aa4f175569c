/* `holder` is written between the taking of the word and the user, and cleared between the user and the giving up: a word that is taken over
 * from the dead with no holder protected nothing that was being changed. So a death inside of Spork tears nothing, and who waits is
 * not told of it.
 *
 * What a death leaves behind, at each point:
 *     the word taken, no holder yet           taken over in silence
 *     a holder                                the next writes `torn`, then everybody is told; or, handing on, takes it
 *     taken over, `torn` not yet written      the holder is the dead one's still: as above, for the next
 *     recovered, `torn` cleared, not released a holder: torn again
 *     no holder any more, not released        taken over in silence */
#include "mutex.h"

#include "error.h"

static uint64_t holder_of(const spork__mutex *m) { return atomic_load_explicit(&m->holder, memory_order_relaxed); }

static spork_status late(const spork__mutex *m, int timeout_ms)
{
    char who[96];
    uint64_t holder = holder_of(m);
    if (holder == 0) holder = (uint64_t)spork__robust_owner(&m->word) << 32;
    spork__holder_text(holder, who, sizeof who);
    return spork__fail(SPORK_TIMEOUT, "not within %d ms: %s holds it", timeout_ms, who);
}

static spork_status tell_of_death(const spork__mutex *m)
{
    char who[96];
    uint64_t torn = atomic_load_explicit(&m->torn, memory_order_relaxed);
    spork__tree_text(spork__holder_id(torn), who, sizeof who);
    return spork__fail(SPORK_OWNER_DIED,
                       "%s%s ended holding it, and what it protects may be half changed: recover it, repair that, and "
                       "release it",
                       spork__tree_alive(spork__holder_id(torn)) ? "a thread of " : "", who);
}

spork_status spork__mutex_enter(spork__mutex *m, spork_native berth, int timeout_ms)
{
    spork_status status = spork__robust_acquire(&m->word, berth, timeout_ms);
    if (status == SPORK_TIMEOUT) return late(m, timeout_ms);
    if (status != SPORK_OWNER_DIED) return status;
    uint64_t dead = holder_of(m);
    if (dead != 0 && !m->hands_on && !spork__planted(SPORK__BUG_MUTEX_WHOLE))
        atomic_store_explicit(&m->torn, dead, memory_order_relaxed);
    spork__at(SPORK__AT_MUTEX_TORN);
    spork__mutex_set_holder(m, 0);
    return SPORK_OK;
}

void spork__mutex_leave(spork__mutex *m, spork_native berth) { spork__robust_release(&m->word, berth); }

spork_status spork__mutex_keep(spork__mutex *m, spork_native berth)
{
    if (atomic_load_explicit(&m->torn, memory_order_relaxed) == 0) {
        spork__mutex_set_holder(m, spork__holder_self());
        return SPORK_OK;
    }
    spork_status status = tell_of_death(m);
    spork__mutex_leave(m, berth);
    return status;
}

static spork_status enter_as_user(spork__mutex *m, spork_native berth, int timeout_ms)
{
    if (spork__mutex_is_mine(m))
        return spork__fail(SPORK_BAD_STATE,
                           "this thread holds it already, and would wait for itself; what may be taken "
                           "twice is a spork_rlock");
    return spork__mutex_enter(m, berth, timeout_ms);
}

spork_status spork__mutex_acquire(spork__mutex *m, spork_native berth, int timeout_ms)
{
    if (spork__mutex_take(m, berth, spork__holder_self())) return SPORK_OK;
    spork_status status = enter_as_user(m, berth, timeout_ms);
    return status == SPORK_OK ? spork__mutex_keep(m, berth) : status;
}

spork_status spork__mutex_recover(spork__mutex *m, spork_native berth, int timeout_ms)
{
    spork_status status = enter_as_user(m, berth, timeout_ms);
    if (status != SPORK_OK) return status;
    if (atomic_load_explicit(&m->torn, memory_order_relaxed) != 0) {
        spork__mutex_set_holder(m, spork__holder_self());
        return SPORK_OK;
    }
    spork__mutex_leave(m, berth);
    return spork__fail(SPORK_BAD_STATE, "nothing is to be recovered: it is whole, or somebody else has repaired it");
}

spork_status spork__mutex_not_mine(const spork__mutex *m)
{
    char who[96];
    uint64_t holder = holder_of(m);
    if (holder == 0) return spork__fail(SPORK_NOT_OWNER, "nobody holds it");
    spork__holder_text(holder, who, sizeof who);
    return spork__fail(SPORK_NOT_OWNER, "this thread does not hold it: %s does", who);
}

void spork__mutex_take_back(spork__mutex *m)
{
    if (atomic_load_explicit(&m->torn, memory_order_relaxed) != 0)
        atomic_store_explicit(&m->torn, 0, memory_order_relaxed); /* who holds a torn lock has recovered it */
    spork__at(SPORK__AT_MUTEX_WHOLE);
    spork__mutex_set_holder(m, 0);
}

spork_status spork__mutex_release(spork__mutex *m, spork_native berth)
{
    if (spork__mutex_give(m, berth, spork__holder_self())) return SPORK_OK;
    if (!spork__mutex_is_mine(m)) return spork__mutex_not_mine(m);
    spork__mutex_take_back(m);
    spork__mutex_leave(m, berth);
    return SPORK_OK;
}

void spork__mutex_desert(spork__mutex *m, spork_native berth)
{
    if (!m->hands_on) atomic_store_explicit(&m->torn, holder_of(m), memory_order_relaxed);
    spork__mutex_set_holder(m, 0);
    spork__mutex_leave(m, berth);
}
