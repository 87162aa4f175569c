/* Condition: the lock, and an entry for each that waits, who sleeps on a word of its own there.
 *
 *     FREE -> WAITING    by who begins to wait, when the rest of the entry is written
 *     WAITING -> TOLD    by who notifies
 *     -> FREE            by who has waited; or by somebody else, if that process died
 *
 * Entries are changed under the mutex' word only, each by a single store that makes it so; nothing links them. So whoever dies inside leaves
 * the table whole, and nothing counts those who wait: a notification looks for living ones.
 *
 * Who was told and dies before it went takes a notification with it. Others who wait, and wait for long, look for such, and pass it on to
 * the next that waited when it was given. A death in the middle of that may wake one too many, never one too few. */
#include "deadline.h"
#include "error.h"
#include "sync.h"

enum { WAITERS = 4096, STEP = 128, BOUND_MS = 50, LOOK_EVERY_MS = 100 };
enum { FREE = 0, WAITING = 1, TOLD = 2 };

typedef struct waiter {
    _Atomic uint32_t state; /* what it sleeps on */
    _Atomic uint32_t id;
    _Atomic uint64_t came; /* the order in which they came */
    _Atomic uint64_t told; /* how many had come when it was told */
} waiter;
_Static_assert(sizeof(waiter) == 24, "the same on both sides of a process' border");

typedef struct words {
    spork__sync_words common;
    _Alignas(128) _Atomic uint64_t came;
    _Atomic uint32_t used; /* entries that were ever used; those beyond may have no memory */
    _Alignas(128) waiter waiters[WAITERS];
} words;

struct spork_condition {
    spork__sync sync;
};

static words *words_of(const spork_condition *c) { return c->sync.block.data; }
static spork__mutex *mutex_of(const spork_condition *c) { return spork__sync_mutex(&c->sync); }
/* Never more than there are, whatever has become of the word: others can write there, too. */
static uint32_t used(const words *w)
{
    uint32_t n = atomic_load_explicit(&w->used, memory_order_acquire);
    return n < WAITERS ? n : WAITERS;
}
static uint32_t state_of(const waiter *e) { return atomic_load_explicit(&e->state, memory_order_acquire); }
static void set_state(waiter *e, uint32_t state) { atomic_store_explicit(&e->state, state, memory_order_release); }
static uint64_t came(const waiter *e) { return atomic_load_explicit(&e->came, memory_order_relaxed); }
static bool alive(const waiter *e) { return spork__tree_alive(atomic_load_explicit(&e->id, memory_order_relaxed)); }

static void leave(spork__sync *s)
{
    spork__mutex *m = spork__sync_mutex(s);
    if (spork__mutex_is_mine(m) && spork__sync_is_last(s)) spork__mutex_desert(m, s->berth);
}

static spork_status joined(spork__sync *s)
{
    const words *w = s->block.data;
    if (s->block.size >= sizeof(words) && atomic_load(&w->used) <= WAITERS) return SPORK_OK;
    return spork__fail(SPORK_BAD_MESSAGE, "a damaged condition");
}

const spork__sync_kind spork__condition_kind = {.kind = SPORK__SYNC_KIND(SPORK__KIND_CONDITION, "condition"),
                                                .magic = 0x444E4353 /* "SCND" */,
                                                .has_bell = true,
                                                .has_lock = true,
                                                .words_size = sizeof(words),
                                                .joined = joined,
                                                .leave = leave};

spork_condition *spork__condition_new(const spork_lock_options *options, size_t size)
{
    static const char call[] = "spork_condition_new";
    bool hands_on;
    if (spork__lock_options_read(options, size, &hands_on, call) != SPORK_OK) return NULL;
    size_t ready = offsetof(words, waiters) + STEP * sizeof(waiter);
    spork__sync *s = spork__sync_new(&spork__condition_kind, sizeof(words), ready, call);
    if (s != NULL) spork__sync_mutex(s)->hands_on = hands_on;
    return (spork_condition *)s;
}
spork_condition *spork_condition_new(void) { return spork__condition_new(NULL, 0); }

void spork_condition_free(spork_condition *c)
{
    spork__sync_free(SPORK__SYNC(c), &spork__condition_kind, "spork_condition_free");
}

/* ---- the lock ---- */

static spork_status check(const spork_condition *c, const char *call)
{
    return spork__sync_check(SPORK__SYNC(c), &spork__condition_kind, call);
}

spork_status spork_condition_acquire(spork_condition *c, int timeout_ms)
{
    static const char call[] = "spork_condition_acquire";
    spork_status status = spork__timed(check(c, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    return spork__in_call(spork__mutex_acquire(mutex_of(c), c->sync.berth, timeout_ms), call);
}

spork_status spork_condition_recover(spork_condition *c, int timeout_ms)
{
    static const char call[] = "spork_condition_recover";
    spork_status status = spork__timed(check(c, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    return spork__in_call(spork__mutex_recover(mutex_of(c), c->sync.berth, timeout_ms), call);
}

spork_status spork_condition_release(spork_condition *c)
{
    static const char call[] = "spork_condition_release";
    spork_status status = check(c, call);
    return status == SPORK_OK ? spork__in_call(spork__mutex_release(mutex_of(c), c->sync.berth), call) : status;
}

static spork_status check_held(const spork_condition *c, const char *call)
{
    spork_status status = check(c, call);
    if (status != SPORK_OK || spork__mutex_is_mine(mutex_of(c))) return status;
    return spork__fail_in(spork__mutex_not_mine(mutex_of(c)), "%s: its lock has to be held", call);
}

/* ---- telling: under the mutex' word ---- */

/* The one that has waited longest, of those that came before; NULL. */
static waiter *first_waiting(words *w, uint64_t before)
{
    waiter *first = NULL;
    for (uint32_t i = 0, n = used(w); i < n; i++) {
        waiter *e = &w->waiters[i];
        if (state_of(e) == WAITING && came(e) < before && (first == NULL || came(e) < came(first))) first = e;
    }
    return first;
}

static void tell(spork_condition *c, waiter *e, uint64_t told)
{
    atomic_store_explicit(&e->told, told, memory_order_relaxed);
    set_state(e, TOLD);
    spork__at(SPORK__AT_CONDITION_TOLD);
    spork__os_unpark(&e->state, c->sync.ear.berth, true); /* whoever else sleeps there looks, and sleeps on */
}

/* A living one of those that came before; false: there is none. It is woken first and asked then: the two take their time alike. */
static bool tell_one(spork_condition *c, uint64_t before)
{
    for (;;) {
        waiter *e = first_waiting(words_of(c), before);
        if (e == NULL) return false;
        tell(c, e, before);
        if (alive(e)) return true;
        set_state(e, FREE);
    }
}

/* What the dead were told goes to the next; the places of the dead are free again. */
static void pass_on(spork_condition *c)
{
    words *w = words_of(c);
    for (uint32_t i = 0, n = used(w); i < n; i++) {
        waiter *e = &w->waiters[i];
        uint32_t state = state_of(e);
        if (state == FREE || alive(e)) continue;
        if (state == TOLD && !spork__planted(SPORK__BUG_CONDITION_LOSES))
            tell_one(c, atomic_load_explicit(&e->told, memory_order_relaxed));
        spork__at(SPORK__AT_CONDITION_PASSED);
        set_state(e, FREE);
    }
}

/* Has somebody died that was told? */
static bool any_to_pass_on(words *w)
{
    for (uint32_t i = 0, n = used(w); i < n; i++)
        if (state_of(&w->waiters[i]) == TOLD && !alive(&w->waiters[i])) return true;
    return false;
}

spork_status spork_condition_notify(spork_condition *c, unsigned n)
{
    spork_status status = check_held(c, "spork_condition_notify");
    if (status != SPORK_OK) return status;
    uint64_t now = atomic_load_explicit(&words_of(c)->came, memory_order_relaxed) + 1;
    while (n > 0 && tell_one(c, now)) n--;
    return SPORK_OK;
}

/* All: there is nobody to whom a dead one's could go. */
spork_status spork_condition_notify_all(spork_condition *c)
{
    spork_status status = check_held(c, "spork_condition_notify_all");
    if (status != SPORK_OK) return status;
    words *w = words_of(c);
    for (uint32_t i = 0, n = used(w); i < n; i++)
        if (state_of(&w->waiters[i]) == WAITING) tell(c, &w->waiters[i], 0);
    return SPORK_OK;
}

/* ---- waiting ---- */

static waiter *free_entry(words *w)
{
    for (uint32_t i = 0, n = used(w); i < n; i++)
        if (state_of(&w->waiters[i]) == FREE) return &w->waiters[i];
    return NULL;
}

/* One more, with memory for it. */
static spork_status grow(spork_condition *c, waiter **entry)
{
    words *w = words_of(c);
    uint32_t n = used(w);
    if (n == WAITERS) {
        pass_on(c);
        *entry = free_entry(w);
        return *entry != NULL ? SPORK_OK : spork__fail(SPORK_NO_SPACE, "%d wait already: more cannot", WAITERS);
    }
    if (n % STEP == 0 && n > 0) {
        spork_status status = spork__os_block_commit(&c->sync.block, offsetof(words, waiters) + n * sizeof(waiter),
                                                     STEP * sizeof(waiter));
        if (status != SPORK_OK) return status;
    }
    atomic_store_explicit(&w->used, n + 1, memory_order_release);
    *entry = &w->waiters[n];
    return SPORK_OK;
}

static spork_status begin(spork_condition *c, waiter **entry)
{
    words *w = words_of(c);
    *entry = free_entry(w);
    spork_status status = *entry != NULL ? SPORK_OK : grow(c, entry);
    if (status != SPORK_OK) return status;
    uint64_t number = atomic_load_explicit(&w->came, memory_order_relaxed) + 1;
    atomic_store_explicit(&w->came, number, memory_order_relaxed);
    atomic_store_explicit(&(*entry)->id, spork__tree_self_known(), memory_order_relaxed);
    atomic_store_explicit(&(*entry)->came, number, memory_order_relaxed);
    set_state(*entry, WAITING);
    spork__at(SPORK__AT_CONDITION_ENTERED);
    return SPORK_OK;
}

static void look_around(spork_condition *c)
{
    if (!any_to_pass_on(words_of(c))) return;
    if (spork__mutex_enter(mutex_of(c), c->sync.berth, BOUND_MS) != SPORK_OK) return; /* the next time, then */
    pass_on(c);
    spork__mutex_leave(mutex_of(c), c->sync.berth);
}

typedef struct sleeper {
    spork_condition *condition;
    waiter *entry;
} sleeper;

/* A cancelled thread has the lock when its own handlers run, as with pthread_cond_wait, and what it
 * was told goes to the next. */
static void leave_the_wait(void *user)
{
    sleeper *s = user;
    spork_condition *c = s->condition;
    if (spork__mutex_enter(mutex_of(c), c->sync.berth, SPORK_FOREVER) != SPORK_OK) return;
    if (state_of(s->entry) == TOLD)
        tell_one(c, atomic_load_explicit(&s->entry->told, memory_order_relaxed));
    set_state(s->entry, FREE);
    spork__mutex_keep(mutex_of(c), c->sync.berth);
}

static void sleep_once(spork_condition *c, waiter *e, int ms)
{
    sleeper s = {c, e};
    const spork__cleanup cleanup = {leave_the_wait, &s, NULL};
    spork__os_cancel_allow(&cleanup);
    spork__os_park(&e->state, WAITING, c->sync.ear.berth, ms);
    spork__os_cancel_forbid();
}

static void sleep_until_told(spork_condition *c, waiter *e, int timeout_ms)
{
    spork__deadline d = {.timeout_ms = timeout_ms};
    uint64_t look_at = spork__os_now() + LOOK_EVERY_MS * UINT64_C(1000000);
    while (state_of(e) == WAITING) {
        int left = spork__deadline_left(&d);
        if (left == 0) return;
        sleep_once(c, e, left < 0 || left > BOUND_MS ? BOUND_MS : left);
        uint64_t now = spork__os_now();
        if (now < look_at) continue;
        look_around(c);
        look_at = now + LOOK_EVERY_MS * UINT64_C(1000000);
    }
    spork__at(SPORK__AT_CONDITION_WOKEN);
}

static spork_status wait_with(spork_condition *c, int timeout_ms)
{
    waiter *e;
    spork__mutex *m = mutex_of(c);
    spork_status status = begin(c, &e);
    if (status != SPORK_OK) return status;
    spork__mutex_take_back(m);
    spork__mutex_leave(m, c->sync.berth);
    sleep_until_told(c, e, timeout_ms);
    status = spork__mutex_enter(m, c->sync.berth, SPORK_FOREVER);
    if (status != SPORK_OK) return status;
    bool told = state_of(e) == TOLD;
    set_state(e, FREE);
    status = spork__mutex_keep(m, c->sync.berth);
    if (status != SPORK_OK || told) return status;
    return spork__fail(SPORK_TIMEOUT, "not notified within %d ms; the lock is held again", timeout_ms);
}

spork_status spork_condition_wait(spork_condition *c, int timeout_ms)
{
    static const char call[] = "spork_condition_wait";
    spork_status status = spork__timed(check_held(c, call), timeout_ms, call);
    return status == SPORK_OK ? spork__in_call(wait_with(c, timeout_ms), call) : status;
}

spork_status spork_condition_wait_for(spork_condition *c, bool (*predicate)(void *user), void *user, int timeout_ms)
{
    static const char call[] = "spork_condition_wait_for";
    spork__deadline d = {.timeout_ms = timeout_ms};
    if (predicate == NULL) return spork__fail(SPORK_INVALID, "%s: the predicate is NULL", call);
    spork_status status = spork__timed(check_held(c, call), timeout_ms, call);
    while (status == SPORK_OK && !predicate(user)) {
        int left = spork__deadline_left(&d);
        if (left == 0) return spork__fail(SPORK_TIMEOUT, "%s: not so within %d ms; the lock is held", call, timeout_ms);
        status = spork__in_call(wait_with(c, left), call);
        if (status == SPORK_TIMEOUT) status = SPORK_OK; /* the last look is the predicate's */
    }
    return status;
}

unsigned spork__condition_waiting(const spork_condition *c)
{
    unsigned waiting = 0;
    for (uint32_t i = 0, n = used(words_of(c)); i < n; i++) {
        const waiter *e = &words_of(c)->waiters[i];
        waiting += state_of(e) == WAITING && alive(e);
    }
    return waiting;
}
