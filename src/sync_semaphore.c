/* Semaphore. A counter is one word. Of permits the truth is who holds how many, a line for each process of the tree, changed under the
 * mutex' word; `value`, the free ones, follows from it, and is changed last:
 *
 *     max = value + all lines
 *
 * What a death leaves behind, at each point:
 *     between acquires and releases   a line: its permits come back when somebody who waits finds its process dead
 *     a line changed, the value not   the word is taken over, and the value is counted anew
 *     the value changed               nobody was woken: each sleeper looks by itself within its bound */
#include "deadline.h"
#include "error.h"
#include "sync.h"

#include <stdio.h>

/* INSIDE_MS: how long the word may take to be had, also by who only looks: it is held for a moment only, unless its holder is stopped. */
enum { MOST = INT32_MAX, ASK_EVERY_MS = 100, INSIDE_MS = 50 };

typedef struct words {
    spork__sync_words common;
    uint32_t max; /* 0: a counter */
    _Alignas(128) _Atomic uint32_t value;
    _Alignas(128) spork__bell bell;
    _Alignas(128) _Atomic uint64_t lines[]; /* participant << 32 | permits; only with max > 0 */
} words;

struct spork_semaphore {
    spork__sync sync;
};

static words *words_of(const spork__sync *s) { return s->block.data; }
static size_t size_for(uint32_t max)
{
    return sizeof(words) + (max > 0 ? SPORK__TREE_SLOTS * sizeof(_Atomic uint64_t) : 0);
}
/* 0 where there are no lines, whatever has become of the word: others can write there, too. */
static uint32_t max_of(const spork__sync *s)
{
    return s->block.size >= size_for(1) ? *(const volatile uint32_t *)&words_of(s)->max : 0;
}
static uint32_t id_of(uint64_t line) { return (uint32_t)(line >> 32); }
static uint32_t count_of(uint64_t line) { return (uint32_t)line; }
static uint64_t line_at(const words *w, uint32_t i) { return atomic_load_explicit(&w->lines[i], memory_order_relaxed); }
static void set_line(words *w, uint32_t i, uint32_t id, uint32_t count)
{
    atomic_store_explicit(&w->lines[i], count == 0 ? 0 : (uint64_t)id << 32 | count, memory_order_relaxed);
}
static uint32_t slot_of(uint32_t id) { return id & (SPORK__TREE_SLOTS - 1); }

static void ring(spork__sync *s)
{
    spork__at(SPORK__AT_SEMAPHORE_FREED);
    spork__bell_ring_late(&words_of(s)->bell, &s->ear);
}

/* ---- permits: all under the mutex' word ---- */

static void count_anew(words *w)
{
    uint32_t held = 0;
    if (spork__planted(SPORK__BUG_SEMAPHORE_NO_RECOUNT)) return;
    for (uint32_t i = 0; i < SPORK__TREE_SLOTS; i++) held += count_of(line_at(w, i));
    atomic_store(&w->value, held <= w->max ? w->max - held : 0);
}

static spork_status enter(spork__sync *s, int timeout_ms)
{
    spork_status status = spork__robust_acquire(&spork__sync_mutex(s)->word, s->berth, timeout_ms);
    if (status != SPORK_OWNER_DIED) return status;
    count_anew(words_of(s));
    return SPORK_OK;
}

static void leave_words(spork__sync *s) { spork__robust_release(&spork__sync_mutex(s)->word, s->berth); }

/* How many this process holds. A line of another process that had its place in the tree is a dead one's. */
static uint32_t held_by(words *w, uint32_t me)
{
    uint64_t line = line_at(w, slot_of(me));
    if (id_of(line) == me) return count_of(line);
    if (line != 0) {
        set_line(w, slot_of(me), 0, 0);
        atomic_fetch_add(&w->value, count_of(line));
    }
    return 0;
}

static void take_back_from_the_dead(words *w)
{
    if (spork__planted(SPORK__BUG_SEMAPHORE_KEEPS)) return;
    for (uint32_t i = 0; i < SPORK__TREE_SLOTS; i++) {
        uint64_t line = line_at(w, i);
        if (line == 0 || spork__tree_alive(id_of(line))) continue;
        set_line(w, i, 0, 0);
        spork__at(SPORK__AT_SEMAPHORE_RETURNED);
        atomic_fetch_add(&w->value, count_of(line));
    }
}

static spork_status take_permit(spork__sync *s, uint32_t me, bool ask, int left_ms, bool *taken)
{
    words *w = words_of(s);
    spork_status status = enter(s, left_ms < 0 || left_ms > INSIDE_MS ? left_ms : INSIDE_MS);
    if (status != SPORK_OK) return status;
    uint32_t mine = held_by(w, me), before = w->value;
    if (before == 0 && ask) take_back_from_the_dead(w);
    bool more = w->value > 1 && before == 0; /* some for others who sleep */
    *taken = w->value > 0;
    if (*taken) {
        set_line(w, slot_of(me), me, mine + 1);
        spork__at(SPORK__AT_SEMAPHORE_NOTED);
        atomic_fetch_sub(&w->value, 1);
    }
    leave_words(s);
    if (more) ring(s);
    return SPORK_OK;
}

/* "Process-1 (pid 5): 2, Process-2 (pid 6): 1 …" */
static void name_holders(const words *w, char *text, size_t size)
{
    size_t used = 0;
    int named = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < SPORK__TREE_SLOTS && used < size; i++) {
        char who[64];
        uint64_t line = line_at(w, i);
        if (line == 0) continue;
        if (++named > 3) {
            snprintf(text + used, size - used, " …");
            break;
        }
        spork__holder_text(line >> 32 << 32, who, sizeof who);
        used += (size_t)snprintf(text + used, size - used, "%s%s: %u", used > 0 ? ", " : "", who, count_of(line));
    }
}

static spork_status too_late(const spork__sync *s, int timeout_ms)
{
    char holders[256];
    const words *w = words_of(s);
    if (max_of(s) == 0) return spork__fail(SPORK_TIMEOUT, "nothing was released within %d ms", timeout_ms);
    name_holders(w, holders, sizeof holders);
    return spork__fail(SPORK_TIMEOUT, "none of %u permits came back within %d ms; they are held by %s", w->max,
                       timeout_ms, holders);
}

/* ---- both ---- */

static bool take_count(words *w)
{
    uint32_t seen = atomic_load_explicit(&w->value, memory_order_relaxed);
    while (seen > 0)
        if (atomic_compare_exchange_weak_explicit(&w->value, &seen, seen - 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    return false;
}

static spork_status acquire(spork__sync *s, int timeout_ms)
{
    words *w = words_of(s);
    spork__deadline d = {.timeout_ms = timeout_ms};
    uint64_t ask_at = 0;
    uint32_t me = 0, ticket = 0;
    const bool counts = max_of(s) == 0;
    spork_status status = counts ? SPORK_OK : spork__sync_participate(&me);
    for (bool announced = false; status == SPORK_OK; announced = true) {
        bool taken = false, ask = timeout_ms == 0;
        int left = timeout_ms; /* the clock is not asked for what is there at first sight */
        if (announced) {
            uint64_t now = spork__os_now();
            ask = now >= ask_at;
            if (ask) ask_at = now + ASK_EVERY_MS * UINT64_C(1000000);
            left = spork__deadline_left(&d);
        }
        if (counts)
            taken = take_count(w);
        else if (ask || atomic_load_explicit(&w->value, memory_order_relaxed) > 0)
            status = take_permit(s, me, ask, left, &taken);
        if (taken) return SPORK_OK;
        if (status == SPORK_TIMEOUT || (status == SPORK_OK && left == 0)) return too_late(s, timeout_ms);
        if (status != SPORK_OK) break;
        if (announced) spork__bell_sleep_or_end(&w->bell, &s->ear, ticket, left, NULL);
        ticket = spork__bell_announce(&w->bell);
    }
    return status;
}

spork_status spork_semaphore_acquire(spork_semaphore *sem, int timeout_ms)
{
    static const char call[] = "spork_semaphore_acquire";
    spork_status status = spork__timed(
        spork__sync_check(SPORK__SYNC(sem), &spork__semaphore_kind, call), timeout_ms, call);
    return status == SPORK_OK ? spork__in_call(acquire(&sem->sync, timeout_ms), call) : status;
}

static spork_status give_count(spork__sync *s)
{
    words *w = words_of(s);
    uint32_t seen = atomic_load_explicit(&w->value, memory_order_relaxed);
    do
        if (seen == MOST) return spork__fail(SPORK_TOO_LARGE, "it counts %u already", seen);
    while (
        !atomic_compare_exchange_weak_explicit(&w->value, &seen, seen + 1, memory_order_acq_rel, memory_order_relaxed));
    ring(s);
    return SPORK_OK;
}

static spork_status give_permits(spork__sync *s, uint32_t most)
{
    words *w = words_of(s);
    uint32_t me;
    spork_status status = spork__sync_participate(&me);
    if (status == SPORK_OK) status = enter(s, SPORK_FOREVER);
    if (status != SPORK_OK) return status;
    uint32_t mine = held_by(w, me), given = mine < most ? mine : most;
    if (given > 0) {
        set_line(w, slot_of(me), me, mine - given);
        spork__at(SPORK__AT_SEMAPHORE_RETURNED);
        atomic_fetch_add(&w->value, given);
    }
    leave_words(s);
    if (given > 0) ring(s);
    return given > 0 ? SPORK_OK
                     : spork__fail(SPORK_NOT_OWNER,
                                   "this process holds none of its %u permits, and has none to release", w->max);
}

spork_status spork_semaphore_release(spork_semaphore *sem)
{
    static const char call[] = "spork_semaphore_release";
    spork_status status = spork__sync_check(SPORK__SYNC(sem), &spork__semaphore_kind, call);
    if (status != SPORK_OK) return status;
    return spork__in_call(max_of(&sem->sync) == 0 ? give_count(&sem->sync) : give_permits(&sem->sync, 1), call);
}

unsigned spork_semaphore_value(const spork_semaphore *sem)
{
    if (spork__sync_check(SPORK__SYNC(sem), &spork__semaphore_kind, "spork_semaphore_value") != SPORK_OK) return 0;
    return atomic_load_explicit(&words_of(&sem->sync)->value, memory_order_acquire);
}

bool spork__semaphore_awaited(const spork_semaphore *sem) { return spork__bell_awaited(&words_of(&sem->sync)->bell); }

/* ---- making ---- */

static spork_status joined(spork__sync *s)
{
    if (s->block.size >= size_for(words_of(s)->max)) return SPORK_OK;
    return spork__fail(SPORK_BAD_MESSAGE, "a damaged semaphore");
}

static void leave(spork__sync *s)
{
    const words *w = words_of(s);
    uint32_t me = spork__tree_self_known();
    if (max_of(s) > 0 && me != 0 && id_of(line_at(w, slot_of(me))) == me && spork__sync_is_last(s))
        give_permits(s, UINT32_MAX);
}

const spork__sync_kind spork__semaphore_kind = {.kind = SPORK__SYNC_KIND(SPORK__KIND_SEMAPHORE, "semaphore"),
                                                .magic = 0x4D455353 /* "SSEM" */,
                                                .has_bell = true,
                                                .words_size = sizeof(words),
                                                .joined = joined,
                                                .leave = leave};

spork_semaphore *spork_semaphore_new(unsigned initial, unsigned max)
{
    static const char call[] = "spork_semaphore_new";
    uint32_t me = 0;
    if (initial > MOST || max > MOST || (max > 0 && initial > max)) {
        spork__fail(SPORK_INVALID, "%s: %u of %u: at most 2^31 - 1, and no more than there are permits", call, initial,
                    max);
        return NULL;
    }
    if (max > initial && spork__sync_participate(&me) != SPORK_OK) {
        spork__fail_in(spork_last_status(), "%s", call);
        return NULL;
    }
    spork__sync *s = spork__sync_new(&spork__semaphore_kind, size_for(max), size_for(max), call);
    if (s == NULL) return NULL;
    words_of(s)->max = max;
    words_of(s)->value = initial;
    if (max > initial) set_line(words_of(s), slot_of(me), me, max - initial);
    return (spork_semaphore *)s;
}

void spork_semaphore_free(spork_semaphore *sem)
{
    spork__sync_free(SPORK__SYNC(sem), &spork__semaphore_kind, "spork_semaphore_free");
}
