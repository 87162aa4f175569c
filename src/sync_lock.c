/* Lock and rlock: a mutex each. */
#include "error.h"
#include "sync.h"

struct spork_lock {
    spork__sync sync;
};
struct spork_rlock {
    spork__sync sync;
};

/* The owner ends as far as this process can tell: for the others as if it had died. */
static void leave(spork__sync *s)
{
    spork__mutex *m = spork__sync_mutex(s);
    if (spork__mutex_is_mine(m) && spork__sync_is_last(s)) spork__mutex_desert(m, s->berth);
}

const spork__sync_kind spork__lock_kind = {.kind = SPORK__SYNC_KIND(SPORK__KIND_LOCK, "lock"),
                                           .magic = 0x4B434C53 /* "SLCK" */,
                                           .has_lock = true,
                                           .words_size = sizeof(spork__sync_words),
                                           .leave = leave};
const spork__sync_kind spork__rlock_kind = {.kind = SPORK__SYNC_KIND(SPORK__KIND_RLOCK, "rlock"),
                                            .magic = 0x4B4C5253 /* "SRLK" */,
                                            .has_lock = true,
                                            .words_size = sizeof(spork__sync_words),
                                            .leave = leave};

static spork__sync *new_lock(const spork__sync_kind *kind, const spork_lock_options *options, size_t size,
                             const char *call)
{
    bool hands_on;
    if (spork__lock_options_read(options, size, &hands_on, call) != SPORK_OK) return NULL;
    spork__sync *s = spork__sync_new(kind, kind->words_size, kind->words_size, call);
    if (s != NULL) spork__sync_mutex(s)->hands_on = hands_on;
    return s;
}

static bool locked(const spork__sync *s, const spork__sync_kind *kind, const char *call)
{
    return spork__sync_check(s, kind, call) == SPORK_OK && spork__robust_owner(&spork__sync_mutex(s)->word) != 0;
}

/* ---- lock ---- */

spork_lock *spork__lock_new(const spork_lock_options *options, size_t size)
{
    return (spork_lock *)new_lock(&spork__lock_kind, options, size, "spork_lock_new");
}
spork_lock *spork_lock_new(void) { return spork__lock_new(NULL, 0); }

spork_status spork_lock_acquire(spork_lock *l, int timeout_ms)
{
    static const char call[] = "spork_lock_acquire";
    spork_status status =
        spork__timed(spork__sync_check(SPORK__SYNC(l), &spork__lock_kind, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    spork__mutex *m = spork__sync_mutex(&l->sync);
    if (spork__mutex_take(m, l->sync.berth, spork__holder_self())) return SPORK_OK;
    return spork__in_call(spork__mutex_acquire(m, l->sync.berth, timeout_ms), call);
}

spork_status spork_lock_recover(spork_lock *l, int timeout_ms)
{
    static const char call[] = "spork_lock_recover";
    spork_status status =
        spork__timed(spork__sync_check(SPORK__SYNC(l), &spork__lock_kind, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    return spork__in_call(spork__mutex_recover(spork__sync_mutex(&l->sync), l->sync.berth, timeout_ms), call);
}

spork_status spork_lock_release(spork_lock *l)
{
    static const char call[] = "spork_lock_release";
    spork_status status = spork__sync_check(SPORK__SYNC(l), &spork__lock_kind, call);
    if (status != SPORK_OK) return status;
    spork__mutex *m = spork__sync_mutex(&l->sync);
    if (spork__mutex_give(m, l->sync.berth, spork__holder_self())) return SPORK_OK;
    return spork__in_call(spork__mutex_release(m, l->sync.berth), call);
}

bool spork_lock_locked(const spork_lock *l) { return locked(SPORK__SYNC(l), &spork__lock_kind, "spork_lock_locked"); }
void spork_lock_free(spork_lock *l) { spork__sync_free(SPORK__SYNC(l), &spork__lock_kind, "spork_lock_free"); }

/* ---- rlock ---- */

spork_rlock *spork__rlock_new(const spork_lock_options *options, size_t size)
{
    return (spork_rlock *)new_lock(&spork__rlock_kind, options, size, "spork_rlock_new");
}
spork_rlock *spork_rlock_new(void) { return spork__rlock_new(NULL, 0); }

static void set_depth(spork__mutex *m, uint32_t depth)
{
    atomic_store_explicit(&m->depth, depth, memory_order_relaxed);
}

static spork_status rlock_take(spork_rlock *l, int timeout_ms, bool recover, const char *call)
{
    spork_status status =
        spork__timed(spork__sync_check(SPORK__SYNC(l), &spork__rlock_kind, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    spork__mutex *m = spork__sync_mutex(&l->sync);
    if (!recover && spork__mutex_take(m, l->sync.berth, spork__holder_self())) {
        set_depth(m, 1);
        return SPORK_OK;
    }
    if (!recover && spork__mutex_is_mine(m)) {
        uint32_t depth = atomic_load_explicit(&m->depth, memory_order_relaxed);
        if (depth == UINT32_MAX) return spork__fail(SPORK_TOO_LARGE, "%s: this thread holds it 2^32 times", call);
        set_depth(m, depth + 1);
        return SPORK_OK;
    }
    status = (recover ? spork__mutex_recover : spork__mutex_acquire)(m, l->sync.berth, timeout_ms);
    if (status == SPORK_OK) set_depth(m, 1);
    return spork__in_call(status, call);
}

spork_status spork_rlock_acquire(spork_rlock *l, int timeout_ms)
{
    return rlock_take(l, timeout_ms, false, "spork_rlock_acquire");
}

spork_status spork_rlock_recover(spork_rlock *l, int timeout_ms)
{
    return rlock_take(l, timeout_ms, true, "spork_rlock_recover");
}

spork_status spork_rlock_release(spork_rlock *l)
{
    static const char call[] = "spork_rlock_release";
    spork_status status = spork__sync_check(SPORK__SYNC(l), &spork__rlock_kind, call);
    if (status != SPORK_OK) return status;
    spork__mutex *m = spork__sync_mutex(&l->sync);
    uint32_t depth = atomic_load_explicit(&m->depth, memory_order_relaxed);
    if (spork__mutex_is_mine(m) && depth > 1) {
        set_depth(m, depth - 1);
        return SPORK_OK;
    }
    return spork__in_call(spork__mutex_release(m, l->sync.berth), call);
}

bool spork_rlock_locked(const spork_rlock *l)
{
    return locked(SPORK__SYNC(l), &spork__rlock_kind, "spork_rlock_locked");
}
void spork_rlock_free(spork_rlock *l) { spork__sync_free(SPORK__SYNC(l), &spork__rlock_kind, "spork_rlock_free"); }
