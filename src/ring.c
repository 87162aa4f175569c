/* An index is a position in the ring, in units of 8 bytes, and the number of messages that have passed it, in one 64-bit word, so that
 * both move in one store and always agree. Each side has its lock, its index, and its last view of the other's, on cache lines
 * of its own: that view is refreshed only when it seems full or empty, which is what makes a ring fast (perf. 3 x).
 *
 *     record = size, kind                                8 bytes
 *              the message, or {extent, 0, size}         rounded up to 8
 *     A record is never split: what is left at the end of the ring, or of one of the segments of
 *     which a large one consists (segments.h), is skipped by a record of kind PAD.
 *
 *     put   lock - room? - write - [extent: mark it, hand it to NOBODY] - move the index - unlock - ring
 *     get   lock - there? - copy - note it in hands - move the index - [extent: hand it to me] - unlock - ring
 *           - [copy out of the extent, free it]
 *
 * A lock is held for these steps only. Who finds no room, or no message, gives it back before it
 * waits, and an extent that it has filled, too: whoever waits can be stopped, frozen or cancelled for
 * ever at no cost to the others. How it waits before it sleeps is backoff.h's: in a flow each side
 * lets the other get some way ahead, and so does who waits for a lock.
 *
 * A put wakes one of the sleepers, and who gets a message while there are more wakes the next one;
 * which of them gets it is open until one has the lock. So a large message could wait for room for
 * ever while small ones are put into each gap: who has found none for STARVING_MS takes a lease
 * (lease.h) of the room, or of the extents, and the other putters leave that alone while it runs.
 *
 * What a death leaves behind, at each point, and who mends it:
 *     locked, written      the lock; the index is where it was: the message is nothing
 *     handed               an extent of NOBODY's with a mark that the putting index has not reached: freed by whoever takes that lock
 *                          over; so does who only waits for room, if that lock's owner is dead
 *     committed            the lock; the message is there. Sleepers look by themselves within their bound
 *     unlocked             as committed
 *     noted, getting       hands that name a message which the index has not passed: still in the ring, not lost. Whoever takes that lock
 *                          over has the queue note that, before the index moves again
 *     committed, getting   hands that name a message which it has passed: lost, and counted. Its extent is still NOBODY's, with a mark
 *                          that the getting index has passed: freed by whoever takes that lock
 *                          over: who gets the next message, or needs an extent
 *     handed, unlocked     the extent is a dead process': an arena sweeps it when it needs room, or when it is tidied
 *     leasing              the lease, until it has run out
 *     giving memory back   the putting side's lock, or the arena's; and memory that is given back, or
 *                          asked for, once more (segments.c, arena.c)
 * So at most the message in the dead one's hands is lost, and is known to be.
 *
 * What a stop leaves behind, and how long the others notice it:
 *     waiting              nothing. A wake-up that it got is lost to another sleeper, who looks by
 *                          itself within 50 ms
 *     leasing              the lease, until it has run out
 *     filling an extent    the extent, as room that is missing, until the owner goes on, or is dead
 *     in the arena's lock  nobody gets an extent until the owner goes on, or is dead
 *     locked … committed   the lock: its side waits until the owner goes on, or is dead; the
 *                          sentence of a time-out names it
 *     giving memory back   the putting side's lock, as in the middle of a put, or the arena's: a step
 *                          of some ms, taken by who finds an idle ring larger than it need be
 *     unlocked             as waiting
 *
 * The words come from memory that others can write. Sizes and places are checked against what this process knows of the ring
 * from when it joined, before they are used; what cannot be is SPORK_BAD_MESSAGE, and stays so. */
#include "ring.h"

#include <string.h>

#include "backoff.h"
#include "bell.h"
#include "copy.h"
#include "error.h"
#include "fault.h"
#include "hints.h"
#include "lease.h"
#include "robust.h"

enum { MAGIC = 0x474E5253 /* "SRNG" */, LAYOUT = 4, COUNT_BITS = 28, ASK_MS = 20, PASS_MS = 200 };
enum { STARVING_MS = 10, INSIDE_MS = 100, IDLE_MS = 500 };
/* How far the other gets ahead of who waits for messages, for room (or a quarter of the ring, if that
 * is less), or for a lock, in messages of up to so many units. */
enum { DATA_BATCH = 128, ROOM_BATCH = 4096, TURN_BATCH = 64, SMALL_UNITS = 16 };
enum { SOON_AGAIN = (4 << 20) / 8 }; /* units */
enum { NAP_BATCH = 16 }; /* of room, that is worth a nap where nobody looks */
enum { INLINE = 1, EXTENT = 2, PAD = 3 };
static const uint64_t count_mask = (UINT64_C(1) << COUNT_BITS) - 1, place_mask = (UINT64_C(1) << (64 - COUNT_BITS)) - 1;
static const size_t grain = 65536;

/* What the other side looks at has a cache line of its own: who looks takes it away, and the lock
 * should not go with it. */
typedef struct side {
    _Alignas(128) spork__robust lock;
    _Atomic uint64_t seen; /* the other side's index, as it was once */
    spork__lease room, extents; /* the putting side's */
    _Alignas(128) _Atomic uint64_t index;
} side;

struct spork__ring_words {
    _Alignas(128) uint32_t magic;
    uint32_t layout, most, room;
    uint64_t ring, largest; /* bytes */
    side put, get;
    _Alignas(128) spork__bell room_bell;
    _Alignas(128) spork__bell data_bell;
};

typedef struct record {
    uint32_t size, kind;
} record;
typedef struct place {
    uint32_t extent, room;
    uint64_t size;
} place;

static uint64_t word(uint64_t at, uint64_t count) { return (at & place_mask) << COUNT_BITS | (count & count_mask); }
static uint64_t at_of(uint64_t index) { return index >> COUNT_BITS; }
static uint64_t distance(uint64_t from, uint64_t to) { return (at_of(to) - at_of(from)) & place_mask; }
static uint32_t messages(uint64_t from, uint64_t to) { return (uint32_t)((to - from) & count_mask); }
static uint64_t units_of(uint64_t size) { return (sizeof(record) + size + 7) / 8; }
static uint64_t load(const _Atomic uint64_t *word_, memory_order order) { return atomic_load_explicit(word_, order); }

/* How much work it is from one index to another: so many messages, but one of 1 KiB is as much as
 * eight small ones. */
static uint32_t progress(uint64_t from, uint64_t to)
{
    uint64_t many = messages(from, to), much = distance(from, to) / SMALL_UNITS;
    return (uint32_t)(many > much ? many : much);
}

static record *record_at(const spork__ring *r, uint64_t at)
{
    return spork__segments_place(&r->segments, at);
}

static spork_status damaged(void) { return spork__fail(SPORK_BAD_MESSAGE, "the queue's shared memory is damaged"); }

/* ---- making and joining ---- */

static size_t up(size_t size, size_t to) { return (size + to - 1) / to * to; }

static size_t table_offset(void) { return up(sizeof(spork__ring_words), 128); }
static size_t segments_offset(void) { return up(table_offset() + spork__arena_table_size(), 128); }
static size_t data_offset(void)
{
    return up(segments_offset() + spork__segments_table_size(), 4096);
}
static size_t arena_size(size_t capacity) { return up(capacity, SPORK__ARENA_UNIT); }

spork_status spork__ring_plan(size_t capacity, spork__ring_sizes *sizes)
{
    if (capacity > (sizeof(size_t) > 4 ? (size_t)1 << 40 : (size_t)1 << 29))
        return spork__fail(SPORK_TOO_LARGE, "a capacity of %zu bytes is more than a queue can have", capacity);
    spork__segments s = {0};
    spork__segments_plan(&s, capacity);
    sizes->fixed = data_offset() + spork__segments_at_start(&s);
    sizes->ring = up(data_offset() + spork__segments_size(&s), grain);
    sizes->whole = sizes->ring + arena_size(capacity);
    return SPORK_OK;
}

/* Everything that this process believes from now on, whatever becomes of the words. */
static spork_status view(spork__ring *r, const spork__block *block, size_t offset, size_t capacity, uint32_t most,
                         bool make)
{
    spork__ring_sizes sizes = {0};
    spork_status status = spork__ring_plan(capacity, &sizes);
    if (status != SPORK_OK) return status;
    if (offset > block->size || block->size - offset < sizes.whole) return damaged();
    unsigned char *base = (unsigned char *)block->data + offset;
    r->block = block;
    r->words = (spork__ring_words *)(void *)base;
    r->segments = (spork__segments){.block = block, .offset = offset + data_offset()};
    r->segments.table = (spork__segment_table *)(void *)(base + segments_offset());
    spork__segments_plan(&r->segments, capacity);
    if (make) spork__segments_begin(&r->segments);
    r->segment = UINT64_C(1) << r->segments.shift;
    r->units = r->segments.places * r->segment;
    r->room = r->segments.count * r->segment;
    r->largest = capacity;
    r->most = most;
    r->arena = (spork__arena){.block = block,
                              .table = (spork__arena_table *)(void *)(base + table_offset()),
                              .offset = offset + sizes.ring,
                              .size = arena_size(capacity),
                              .berth = r->berths[SPORK__RING_ARENA_LOCK]};
    return spork__arena_open(&r->arena, make);
}

spork_status spork__ring_make(spork__ring *r, const spork__block *block, size_t offset, size_t capacity, uint32_t most)
{
    spork_status status = view(r, block, offset, capacity, most, true);
    if (status != SPORK_OK) return status;
    spork__ring_words *w = r->words;
    w->layout = LAYOUT;
    w->most = most;
    w->ring = r->room * 8;
    w->largest = capacity;
    w->magic = MAGIC;
    return SPORK_OK;
}

spork_status spork__ring_join(spork__ring *r, const spork__block *block, size_t offset)
{
    if (offset > block->size || block->size - offset < data_offset()) return damaged();
    spork__ring_words *w = (spork__ring_words *)(void *)((unsigned char *)block->data + offset);
    if (w->magic != MAGIC || w->layout != LAYOUT)
        return spork__fail(SPORK_BAD_MESSAGE, "a queue of another version of Spork, or a damaged one");
    uint64_t largest = w->largest, ring = w->ring;
    if (largest == 0 || largest > SIZE_MAX || w->most == 0 || w->most > count_mask)
        return damaged();
    spork_status status = view(r, block, offset, (size_t)largest, w->most, false);
    return status == SPORK_OK && ring != r->room * 8 ? damaged() : status;
}

/* ---- locks ---- */

static side *side_of(spork__ring *r, bool putting) { return putting ? &r->words->put : &r->words->get; }
static spork_native lock_berth(const spork__ring *r, bool putting)
{
    return r->berths[putting ? SPORK__RING_PUT_LOCK : SPORK__RING_GET_LOCK];
}
static spork__bell *bell_of(spork__ring *r, bool putting) /* that this side sleeps on */
{
    return putting ? &r->words->room_bell : &r->words->data_bell;
}
static const spork__ear *ear_of(const spork__ring *r, bool putting)
{
    return &r->ears[putting ? SPORK__RING_ROOM : SPORK__RING_DATA];
}

typedef struct border {
    uint64_t index;
    bool putting;
} border;

/* Was this extent on its way into the ring, or out of it, when its process died? Under that side's lock. */
static bool was_on_its_way(void *user, uint32_t owner, uint64_t mark)
{
    const border *b = user;
    if (owner != SPORK__ARENA_NOBODY) return false; /* a dead process' own, which the arena finds by itself */
    /* Taken anew since its owner was read, and not yet handed on. */
    if (mark == 0) return false;
    uint64_t past = b->putting ? distance(b->index, mark) : distance(mark, b->index);
    return past < place_mask / 2 && (b->putting || past > 0);
}

/* The dead one's side: the index is true, and so is what it saw of the other's. What it held on its way is not. */
static void mend(spork__ring *r, bool putting)
{
    border b = {load(&side_of(r, putting)->index, memory_order_relaxed), putting};
    if (spork__planted(SPORK__BUG_RING_FORGETS_EXTENTS)) return;
    spork__arena_sweep(&r->arena, was_on_its_way, &b);
    if (!putting && r->getter_died != NULL) r->getter_died(r->user);
    spork__bell_ring(bell_of(r, !putting), ear_of(r, !putting)); /* it may have died before it could */
}

/* SPORK_TIMEOUT without a sentence. */
static spork_status lock_within(spork__ring *r, bool putting, int timeout_ms)
{
    spork_status status =
        spork__robust_acquire(&side_of(r, putting)->lock, lock_berth(r, putting), timeout_ms);
    if (status != SPORK_OWNER_DIED) return status;
    mend(r, putting);
    return SPORK_OK;
}

static spork_status not_had(spork__ring *r, bool putting, int timeout_ms)
{
    char holder[64];
    uint32_t id = spork__robust_owner(&side_of(r, putting)->lock);
    bool stopped = id != 0 && spork__os_process_stopped(spork__tree_pid(id));
    spork__tree_text(id, holder, sizeof holder);
    return spork__fail(SPORK_TIMEOUT, "no turn to %s in %d ms: %s is in the middle of it%s",
                       putting ? "put" : "get", timeout_ms, id != 0 ? holder : "another process",
                       stopped ? ", and is stopped" : "");
}

typedef struct turn {
    side *side;
    uint64_t since;
} turn;

/* Takes the lock if it is free; tells how many messages have passed meanwhile. */
static uint32_t is_our_turn(void *user)
{
    turn *t = user;
    if (spork__planted(SPORK__BUG_RING_TURN_UNTAKEN)) return 1;
    if (spork__robust_owner(&t->side->lock) != 0 || !spork__robust_try(&t->side->lock)) return 0;
    return progress(t->since, load(&t->side->index, memory_order_relaxed)) |
           1; /* never 0: it has it */
}

static bool gets_turn(spork__ring *r, bool putting)
{
    side *s = side_of(r, putting);
    turn t = {s, load(&s->index, memory_order_relaxed)};
    return spork__backoff_in_flow(&r->turns[putting], is_our_turn, &t, TURN_BATCH);
}

/* Who only looks waits INSIDE_MS, too: that somebody else is at it does not mean that the queue is
 * full, or empty. */
static spork_status lock(spork__ring *r, bool putting, spork__deadline *d)
{
    if (spork__planted(SPORK__BUG_RING_READS_UNLOCKED) && !putting) return SPORK_OK;
    if (spork__robust_try(&side_of(r, putting)->lock)) return SPORK_OK;
    int left = spork__deadline_left(d);
    if (gets_turn(r, putting)) return SPORK_OK;
    spork_status status = lock_within(r, putting, left >= 0 && left < INSIDE_MS ? INSIDE_MS : left);
    return status == SPORK_TIMEOUT ? not_had(r, putting, d->timeout_ms) : status;
}

static void unlock_as(spork__ring *r, bool putting, uint32_t me)
{
    spork__robust_release_as(&side_of(r, putting)->lock, lock_berth(r, putting), me);
}
static void unlock(spork__ring *r, bool putting)
{
    unlock_as(r, putting, spork__tree_self_at_a_glance());
}

/* For who waits for something else than that lock. Whether there was anything to mend. */
static bool mend_for_the_dead(spork__ring *r)
{
    bool mended = false;
    for (int putting = 0; putting < 2; putting++) {
        uint32_t owner = spork__robust_owner(&side_of(r, putting)->lock);
        if (owner == 0 || spork__tree_alive(owner) || lock_within(r, putting, 0) != SPORK_OK)
            continue;
        mended = true;
        unlock(r, putting);
    }
    return mended;
}

/* ---- waiting ---- */

static bool holds_more(const spork__ring *r)
{
    return spork__segments_hold_more(&r->segments) || spork__arena_holds_more(&r->arena);
}

/* Has it been empty, whenever this process looked, for that long? */
static bool is_idle(spork__ring *r)
{
    _Atomic uint64_t *since = (_Atomic uint64_t *)&r->idle_since;
    uint64_t now = spork__os_now(), begun = load(since, memory_order_relaxed);
    if (begun != 0 && now - begun >= IDLE_MS * UINT64_C(1000000))
        return atomic_compare_exchange_strong(since, &begun, 0);
    if (begun == 0) atomic_store_explicit(since, now, memory_order_relaxed);
    return false;
}

/* A moment's worth of what nobody needs; false: that was all. */
static bool give_some_back(spork__ring *r)
{
    uint32_t owner = spork__robust_owner(&r->words->put.lock);
    if ((owner != 0 && spork__tree_alive(owner)) || lock_within(r, true, 0) != SPORK_OK)
        return false;
    uint64_t got = load(&r->words->get.index, memory_order_acquire);
    uint64_t put = load(&r->words->put.index, memory_order_relaxed);
    bool some =
        messages(got, put) == 0 && spork__segments_trim(&r->segments, at_of(put), at_of(got), true);
    unlock(r, true);
    return some;
}

/* Who finds the ring empty, and has before, gives back the memory that was needed when there was more
 * in it. A lock is held for this, in steps that take as long as a put of a message does. */
static void rest(spork__ring *r)
{
    if (!holds_more(r) || spork__ring_count(r) != 0 || !is_idle(r) ||
        spork__planted(SPORK__BUG_RING_READS_UNLOCKED))
        return;
    while (give_some_back(r)) {}
    while (spork__arena_trim(&r->arena)) {}
}

typedef bool (*readiness)(spork__ring *r, void *user);

/* When the last has gone, what it put before is there. */
static spork_status the_end(spork__ring *r, readiness ready, void *user)
{
    return ready(r, user) ? SPORK_OK : SPORK_CLOSED;
}

/* SPORK_OK: there may be. */
static spork_status no_room(spork__ring *r, const spork__ring_wait *wait)
{
    char holder[64];
    spork__lease *lease = wait->for_extent ? &r->words->put.extents : &r->words->put.room;
    int ms = wait->deadline.timeout_ms;
    if (!spork__lease_is_anothers(lease, wait->tenant))
        return spork__fail(SPORK_TIMEOUT, "no room in the queue in %d ms", ms);
    uint32_t first = spork__lease_holder(lease);
    if (first == 0 || !spork__tree_alive(first)) {
        spork__lease_expel(lease, first);
        return SPORK_OK;
    }
    spork__tree_text(first, holder, sizeof holder);
    return spork__fail(SPORK_TIMEOUT,
                       "no room in the queue in %d ms: the next is for %s, who has waited longer",
                       ms, holder);
}

static spork_status time_is_over(spork__ring *r, bool putting, readiness ready, void *user,
                                 spork__ring_wait *wait)
{
    int ms = wait->deadline.timeout_ms;
    spork__at(SPORK__AT_RING_TIME_OVER);
    _Atomic uint64_t *asked = (_Atomic uint64_t *)&r->asked_at;
    uint64_t now = spork__os_now(), before = load(asked, memory_order_relaxed);
    /* Who looks without waiting, again and again, should not pay for the question each time. */
    if (now - before >= ASK_MS * UINT64_C(1000000)) {
        atomic_store_explicit(asked, now, memory_order_relaxed);
        if (!putting) rest(r);
        if (wait->deserted(wait->user, true)) return the_end(r, ready, user);
    }
    if (!putting) return spork__fail(SPORK_TIMEOUT, "nothing in the queue in %d ms", ms);
    return no_room(r, wait);
}

/* For who saw room, and left it alone, it is room from now on. */
static void end_lease(spork__ring *r, spork__lease *lease, const spork__ring_wait *wait)
{
    if (wait->tenant != 0 && spork__lease_end(lease, wait->tenant))
        spork__bell_ring(&r->words->room_bell, ear_of(r, true));
}

typedef struct sleeper {
    spork__ring *ring;
    bool putting;
    spork__ring_wait *wait;
} sleeper;

/* A cancelled thread may have been woken for what the next can do. */
static void leave_the_wait(void *user)
{
    sleeper *s = user;
    end_lease(s->ring, &s->ring->words->put.room, s->wait);
    end_lease(s->ring, &s->ring->words->put.extents, s->wait);
    spork__bell_ring_one(bell_of(s->ring, s->putting), ear_of(s->ring, s->putting));
}

static void sleep_or_end(spork__ring *r, bool putting, uint32_t ticket, int ms,
                         spork__ring_wait *wait)
{
    sleeper s = {r, putting, wait};
    const spork__cleanup cleanup = {leave_the_wait, &s, wait->cleanup};
    spork__bell_sleep_or_end(bell_of(r, putting), ear_of(r, putting), ticket, ms, &cleanup);
}

/* Sleeps once, if `ready` still does not say that there is no need. SPORK_OK: look again. Without a
 * lock: whoever sleeps may be stopped. */
static spork_status sleep_once(spork__ring *r, bool putting, readiness ready, void *user, spork__ring_wait *wait)
{
    int left = spork__deadline_left(&wait->deadline);
    if (left == 0) return time_is_over(r, putting, ready, user, wait);
    spork__bell *bell = bell_of(r, putting);
    uint32_t ticket = spork__bell_announce(bell);
    if (ready(r, user)) return SPORK_OK;
    /* A ring that came before the announcement may have told of an end. */
    if (wait->deserted(wait->user, false)) return the_end(r, ready, user);
    sleep_or_end(r, putting, ticket, left, wait);
    if (!putting) spork__bell_stand_in(bell);
    if (ready(r, user)) return SPORK_OK;
    bool thorough = wait->sleeps++ % 2 == 1; /* every other time, for it takes long */
    if (thorough && !putting) rest(r);
    return wait->deserted(wait->user, thorough) ? the_end(r, ready, user) : SPORK_OK;
}

static spork_status closed(bool putting)
{
    return spork__fail(SPORK_CLOSED, putting ? "nobody is left to get it" : "nobody is left to put anything");
}

/* ---- putting ---- */

typedef struct need {
    uint64_t units;      /* of the record */
    uint64_t index, pad; /* where the putting index was when it was measured, and what is skipped */
    bool early;          /* it could do without */
    uint64_t begin;      /* of the wait; 0: it has not waited */
    spork__ring_wait *wait;
} need;

static uint64_t to_end_of_segment(const spork__ring *r, uint64_t at)
{
    return r->segment - spork__segment_offset(&r->segments, at);
}

static void measure(const spork__ring *r, need *n, uint64_t index)
{
    uint64_t to_end = to_end_of_segment(r, at_of(index));
    n->index = index;
    n->pad = n->units > to_end ? to_end : 0;
    n->early = false;
}

/* Of several segments one is used again as a whole: nothing of the one that is got from. */
static bool fits(const spork__ring *r, const need *n, uint64_t other)
{
    uint64_t kept = r->segments.count > 1 ? spork__segment_offset(&r->segments, at_of(other)) : 0;
    return kept + distance(other, n->index) + n->pad + n->units <= r->room &&
           messages(other, n->index) < r->most;
}

static bool starves(uint64_t *begin)
{
    uint64_t now = spork__os_now();
    if (*begin == 0) *begin = now;
    return now - *begin >= STARVING_MS * UINT64_C(1000000);
}

/* A lease of the room that this one has, or had, goes on. */
static void renew(spork__ring *r, spork__ring_wait *wait)
{
    if (wait->tenant != 0) spork__lease_claim(&r->words->put.room, &wait->tenant);
}

/* Without the lock: as it was a moment ago. The getting index comes first, which never passes the
 * other. A distance that cannot be is damage, or two moments: who has the lock will know. */
static bool has_room(spork__ring *r, void *user)
{
    need n = *(const need *)user;
    uint64_t got = load(&r->words->get.index, memory_order_acquire);
    measure(r, &n, load(&r->words->put.index, memory_order_acquire));
    if (distance(got, n.index) > r->units) return true;
    return fits(r, &n, got) && !spork__lease_is_anothers(&r->words->put.room, n.wait->tenant);
}

static uint64_t see_again(spork__ring *r)
{
    uint64_t got = load(&r->words->get.index, memory_order_acquire);
    atomic_store_explicit(&r->words->put.seen, got, memory_order_relaxed);
    return got;
}

/* Is it a moment to look which segments are free? At the beginning of one, and, of a long one,
 * after each so many units that could be used again by now. */
static bool turns_over(const spork__ring *r, const need *n)
{
    uint64_t from = spork__segment_offset(&r->segments, at_of(n->index)), to = from + n->units;
    return from == 0 || n->pad > 0 || (from >= SOON_AGAIN && from / SOON_AGAIN != to / SOON_AGAIN);
}

/* Memory that was used a moment ago is still in a cache. So what is left of a long segment is
 * skipped if there is little in the ring: what comes then is in a segment that is free again. */
static void turn_over(spork__ring *r, need *n)
{
    uint64_t got = see_again(r);
    need early = *n;
    early.early = true;
    early.pad = to_end_of_segment(r, at_of(n->index));
    if (n->pad == 0 && early.pad != r->segment && distance(got, n->index) < SOON_AGAIN / 4 &&
        fits(r, &early, got))
        *n = early;
}

/* Under the lock. */
static bool finds_room(spork__ring *r, need *n)
{
    side *s = &r->words->put;
    measure(r, n, load(&s->index, memory_order_relaxed));
    if (!fits(r, n, load(&s->seen, memory_order_relaxed)) && !fits(r, n, see_again(r)))
        return false;
    if (r->segments.count > 1 && turns_over(r, n)) turn_over(r, n);
    return !spork__lease_is_anothers(&s->room, n->wait != NULL ? n->wait->tenant : 0);
}

typedef struct opening {
    spork__ring *ring;
    need *need;
    uint64_t since;
} opening;

static uint32_t messages_got(void *user)
{
    opening *o = user;
    if (!has_room(o->ring, o->need)) return 0;
    return progress(o->since, load(&o->ring->words->get.index, memory_order_relaxed)) | 1;
}

/* When a ring is full, its getters are at work. Who sleeps until there is room for one message is
 * woken by the next get, is full again a moment later, and so on: a system call for each, and both
 * sides at the same few cache lines. So it lets a quarter of the ring be got. */
static bool opens_soon(spork__ring *r, need *n)
{
    opening o = {r, n, load(&r->words->get.index, memory_order_relaxed)};
    uint32_t batch = progress(o.since, load(&r->words->put.index, memory_order_relaxed)) / 4;
    if (!spork__backoff_looks()) {
        if (batch >= NAP_BATCH) spork__os_nap();
        return has_room(r, n);
    }
    return spork__backoff_in_flow(&r->waits[true], messages_got, &o,
                                  batch < ROOM_BATCH ? batch : ROOM_BATCH);
}

static spork_status wait_for_room(spork__ring *r, need *n)
{
    spork__ring_wait *wait = n->wait;
    bool first = n->begin == 0;
    starves(&n->begin);
    if (first && spork__deadline_left(&wait->deadline) != 0 && opens_soon(r, n)) return SPORK_OK;
    for (;;) {
        if (starves(&n->begin)) spork__lease_claim(&r->words->put.room, &wait->tenant);
        if (has_room(r, n)) return SPORK_OK;
        spork_status status = sleep_once(r, true, has_room, n, wait);
        if (status == SPORK_CLOSED) return closed(true);
        if (status != SPORK_OK) return status;
    }
}

/* A new segment, and memory, for the places to be written to. */
static spork_status back_places(spork__ring *r, const need *n, uint64_t at)
{
    uint64_t got = load(&r->words->put.seen, memory_order_relaxed);
    spork_status status = SPORK_OK;
    if (n->pad > 0) status = spork__segments_back(&r->segments, at_of(n->index), 1);
    if (status == SPORK_OK && spork__segment_offset(&r->segments, at) == 0)
        status = spork__segments_enter(&r->segments, at, at_of(got));
    return status == SPORK_OK ? spork__segments_back(&r->segments, at, n->units) : status;
}

/* Nothing is to be asked of the system for it. */
static bool is_backed(spork__ring *r, const need *n)
{
    uint64_t begin = at_of(n->index), at = begin + n->pad;
    return r->segments.count == 1 || (spork__segment_offset(&r->segments, at) != 0 && n->pad == 0 &&
                                      spork__segments_is_backed(&r->segments, at, n->units));
}

/* Under the lock: where the record goes, which has been found to fit. SPORK_NO_SPACE. */
static spork_status place_for(spork__ring *r, need *n, uint64_t *at)
{
    uint64_t begin = at_of(n->index);
    *at = begin + n->pad;
    spork_status status = r->segments.count > 1 ? back_places(r, n, *at) : SPORK_OK;
    if (status == SPORK_NO_SPACE && n->early) {
        n->pad = 0;
        status = back_places(r, n, *at = begin);
    }
    if (status == SPORK_OK && n->pad > 0)
        *record_at(r, begin) = (record){(uint32_t)((n->pad - 1) * 8), PAD};
    return status;
}

static void move_put_index(spork__ring *r, uint64_t at)
{
    side *s = &r->words->put;
    uint64_t index = load(&s->index, memory_order_relaxed);
    spork__at(SPORK__AT_RING_PUT_WRITTEN);
    atomic_store_explicit(&s->index, word(at, index + 1), memory_order_release);
    spork__at(SPORK__AT_RING_PUT_COMMITTED);
}

/* Who has just put something and now gets is likely in a dialogue, and its answer the next thing
 * that happens: it looks at once. Who only gets does better if a backlog forms first, so that both
 * sides work on lines of their own. */
static _Thread_local bool in_dialogue;

static void finish_put_as(spork__ring *r, const spork__ring_wait *wait, uint32_t me)
{
    in_dialogue = true;
    unlock_as(r, true, me);
    spork__at(SPORK__AT_RING_PUT_UNLOCKED);
    spork__bell_ring_one_late(&r->words->data_bell, ear_of(r, false));
    if (wait != NULL) end_lease(r, &r->words->put.room, wait);
}
static void finish_put(spork__ring *r, const spork__ring_wait *wait)
{
    finish_put_as(r, wait, spork__tree_self_at_a_glance());
}

/* With the lock held, and *at where the record goes, unless there is no room yet: then *full. */
static spork_status lock_if_room(spork__ring *r, need *n, uint64_t *at, bool *full)
{
    spork_status status = lock(r, true, &n->wait->deadline);
    *full = false;
    if (status != SPORK_OK) return status;
    spork__at(SPORK__AT_RING_PUT_LOCKED);
    if (!finds_room(r, n))
        *full = true;
    else if (!n->wait->allowed(n->wait->user))
        status = spork__fail(SPORK_CLOSED, "the queue's end has come");
    else
        status = place_for(r, n, at);
    if (*full && distance(load(&r->words->put.seen, memory_order_relaxed), n->index) > r->units)
        status = damaged();
    if (*full || status != SPORK_OK) unlock(r, true);
    return status;
}

/* With the lock held if it succeeds. */
static spork_status lock_and_find_room(spork__ring *r, uint64_t units, spork__ring_wait *wait,
                                       uint64_t *at)
{
    bool full;
    need n = {.units = units, .wait = wait};
    spork_status status;
    while ((status = lock_if_room(r, &n, at, &full)) == SPORK_OK && full)
        if ((status = wait_for_room(r, &n)) != SPORK_OK) break;
    if (status != SPORK_OK) end_lease(r, &r->words->put.room, wait);
    return status;
}

/* Under the lock. */
static void write_inline(spork__ring *r, uint64_t at, uint64_t units, const void *data, size_t size)
{
    record *to = record_at(r, at);
    *to = (record){(uint32_t)size, INLINE};
    if (spork__planted(SPORK__BUG_RING_COMMITS_FIRST)) {
        move_put_index(r, at + units);
        spork__os_sleep(1);
    }
    spork__copy(to + 1, data, size);
    if (!spork__planted(SPORK__BUG_RING_COMMITS_FIRST)) move_put_index(r, at + units);
}

static bool goes_inline(const spork__ring *r, size_t size) { return size <= r->segment * 8 / 4; }

SPORK__SHORT_WAY bool spork__ring_put_at_once(spork__ring *r, uint32_t me,
                                              const spork__ring_rights *rights, const void *data,
                                              size_t size)
{
    need n = {.units = units_of(size)};
    uint64_t at;
    if (!goes_inline(r, size) || size > r->largest ||
        !spork__robust_try_as(&r->words->put.lock, me))
        return false;
    spork__at(SPORK__AT_RING_PUT_LOCKED);
    bool can = finds_room(r, &n) && spork__ring_may_put(rights) && is_backed(r, &n) &&
               place_for(r, &n, &at) == SPORK_OK;
    if (can)
        write_inline(r, at, n.units, data, size);
    else
        unlock_as(r, true, me);
    if (can) finish_put_as(r, NULL, me);
    return can;
}

static spork_status put_inline(spork__ring *r, const void *data, size_t size,
                               spork__ring_wait *wait)
{
    uint64_t at, units = units_of(size);
    spork_status status = lock_and_find_room(r, units, wait, &at);
    if (status != SPORK_OK) return status;
    write_inline(r, at, units, data, size);
    finish_put(r, wait);
    return SPORK_OK;
}

typedef struct wanted {
    size_t size;
    uint32_t extent;
    spork_status status;
    uint64_t begin; /* of the wait */
    spork__ring_wait *wait;
} wanted;

static bool has_extent(spork__ring *r, void *user)
{
    wanted *w = user;
    w->status = SPORK_TIMEOUT;
    if (spork__lease_is_anothers(&r->words->put.extents, w->wait->tenant)) return false;
    w->status = spork__arena_take(&r->arena, w->size, &w->extent);
    return w->status != SPORK_TIMEOUT;
}

static spork_status wait_for_extent(spork__ring *r, wanted *w)
{
    spork__ring_wait *wait = w->wait;
    while (!has_extent(r, w)) {
        end_lease(r, &r->words->put.room, wait); /* which others could use meanwhile */
        if (starves(&w->begin)) spork__lease_claim(&r->words->put.extents, &wait->tenant);
        if (mend_for_the_dead(r)) continue; /* what they had on its way may be what is needed */
        spork_status status = sleep_once(r, true, has_extent, w, wait);
        if (w->status != SPORK_TIMEOUT) break;
        if (status == SPORK_CLOSED) return closed(true);
        if (status != SPORK_OK) return status;
    }
    return w->status;
}

static spork_status take_extent(spork__ring *r, size_t size, spork__ring_wait *wait,
                                uint32_t *extent)
{
    wanted w = {.size = size, .extent = SPORK__ARENA_NONE, .wait = wait};
    wait->for_extent = true;
    spork_status status = wait_for_extent(r, &w);
    wait->for_extent = false;
    end_lease(r, &r->words->put.extents, wait);
    *extent = w.extent;
    return status;
}

static void give_extent_back(spork__ring *r, uint32_t extent)
{
    spork__arena_free(&r->arena, extent, spork__tree_self());
    spork__bell_ring(&r->words->room_bell, ear_of(r, true));
}

/* The extent is filled. It is the ring's before the ring knows of it: else a sweep could take it for a dead one's. */
static void commit_extent(spork__ring *r, const spork__ring_wait *wait, uint64_t at,
                          uint32_t extent, uint64_t size)
{
    record *to = record_at(r, at);
    *to = (record){sizeof(place), EXTENT};
    *(place *)(void *)(to + 1) = (place){extent, 0, size};
    spork__arena_set_mark(&r->arena, extent, word(at, 1)); /* never 0 */
    spork__arena_hand(&r->arena, extent, spork__tree_self(), SPORK__ARENA_NOBODY);
    spork__at(SPORK__AT_RING_PUT_HANDED);
    move_put_index(r, at + units_of(sizeof(place)));
    finish_put(r, wait);
}

/* Piece by piece, so that a lease does not run out meanwhile. */
static spork_status fill_extent(spork__ring *r, uint32_t extent, const unsigned char *data,
                                size_t size, spork__ring_wait *wait)
{
    enum { PIECE = 1 << 20 };
    size_t room;
    unsigned char *to = spork__arena_data(&r->arena, extent, &room);
    if (to == NULL || room < size) return damaged();
    for (size_t done = 0, piece; done < size; done += piece) {
        piece = size - done < PIECE ? size - done : PIECE;
        spork__copy(to + done, data + done, piece);
        renew(r, wait);
    }
    return SPORK_OK;
}

/* With an extent, filled with the data if there is any, and with the lock held if it succeeds. Room
 * in the ring comes first, as who waits for that has no extent. Should it be gone when the extent is
 * there, all begins anew: with a lease, so that it is not likely to be gone again. */
static spork_status place_extent(spork__ring *r, const void *data, size_t size,
                                 spork__ring_wait *wait, uint32_t *extent, uint64_t *at)
{
    need n = {.units = units_of(sizeof(place)), .wait = wait};
    bool full = false;
    spork_status status;
    do {
        if (full) spork__lease_claim(&r->words->put.room, &wait->tenant);
        status = has_room(r, &n) ? SPORK_OK : wait_for_room(r, &n);
        if (status == SPORK_OK) status = take_extent(r, size, wait, extent);
        if (status != SPORK_OK) break;
        renew(r, wait);
        if (data != NULL) status = fill_extent(r, *extent, data, size, wait);
        if (status == SPORK_OK) status = lock_if_room(r, &n, at, &full);
        if (status != SPORK_OK || full) give_extent_back(r, *extent);
    } while (status == SPORK_OK && full);
    if (status != SPORK_OK) end_lease(r, &r->words->put.room, wait);
    return status;
}

static spork_status put_large(spork__ring *r, const void *data, size_t size, spork__ring_wait *wait)
{
    uint64_t at;
    uint32_t extent;
    spork_status status = place_extent(r, data, size, wait, &extent, &at);
    if (status == SPORK_OK) commit_extent(r, wait, at, extent, size);
    return status;
}

spork_status spork__ring_fits(const spork__ring *r, size_t size)
{
    if (size <= r->largest) return SPORK_OK;
    return spork__fail(SPORK_TOO_LARGE, "a message of %zu bytes for a queue with a capacity of %llu: make it larger",
                       size, (unsigned long long)r->largest);
}

spork_status spork__ring_put(spork__ring *r, const void *data, size_t size, spork__ring_wait *wait)
{
    spork_status fits = spork__ring_fits(r, size);
    if (fits != SPORK_OK) return fits;
    return goes_inline(r, size) ? put_inline(r, data, size, wait) : put_large(r, data, size, wait);
}

/* ---- getting ---- */

/* Without the lock: as it was a moment ago. */
static bool has_message(spork__ring *r, void *user)
{
    (void)user;
    return spork__ring_count(r) != 0;
}

/* Without the lock, and without a look at the other side's words while there are messages that have
 * been seen. */
static bool seems_empty(spork__ring *r)
{
    const side *s = &r->words->get;
    uint64_t index = load(&s->index, memory_order_relaxed);
    return messages(index, load(&s->seen, memory_order_relaxed)) == 0 && !has_message(r, NULL);
}

/* Under the lock. */
static bool finds_message(spork__ring *r)
{
    side *s = &r->words->get;
    uint64_t index = load(&s->index, memory_order_relaxed);
    if (messages(index, load(&s->seen, memory_order_relaxed)) != 0) return true;
    uint64_t other = load(&r->words->put.index, memory_order_acquire);
    atomic_store_explicit(&s->seen, other, memory_order_relaxed);
    return messages(index, other) != 0;
}

static uint32_t messages_there(void *ring)
{
    spork__ring *r = ring;
    uint64_t got = load(&r->words->get.index, memory_order_acquire);
    return progress(got, load(&r->words->put.index, memory_order_acquire));
}

static bool comes_soon(spork__ring *r)
{
    spork__backoff *b = &r->waits[false];
    return in_dialogue ? spork__backoff_for_answer(b, messages_there, r, 1)
                       : spork__backoff_in_flow(b, messages_there, r, DATA_BATCH);
}

static spork_status wait_for_message(spork__ring *r, spork__ring_wait *wait)
{
    if (spork__deadline_left(&wait->deadline) != 0 && comes_soon(r)) return SPORK_OK;
    while (!has_message(r, NULL)) {
        spork_status status = sleep_once(r, false, has_message, NULL, wait);
        if (status == SPORK_CLOSED) return closed(false);
        if (status != SPORK_OK) return status;
    }
    return SPORK_OK;
}

/* Who leaves messages where they are may have been woken for them, and is not the only one who was
 * asleep. */
static void pass_on(spork__ring *r)
{
    if (spork__bell_awaited(&r->words->data_bell) && has_message(r, NULL))
        spork__bell_ring_one(&r->words->data_bell, ear_of(r, false));
}

static bool may_touch(spork__ring *r, uint64_t at, uint64_t units)
{
    return spork__segments_has(&r->segments, at, units, false);
}

/* The next message: its record, and the place behind it. NULL: damaged. */
static const record *next_record(spork__ring *r, uint64_t *next, size_t *size, uint32_t *extent)
{
    side *s = &r->words->get;
    uint64_t index = load(&s->index, memory_order_relaxed), at = at_of(index);
    uint64_t there = distance(index, load(&s->seen, memory_order_relaxed));
    const record *rec = record_at(r, at);
    if (there == 0 || there > r->units || !may_touch(r, at, 1)) return NULL;
    if (rec->kind == PAD) {
        uint64_t pad = to_end_of_segment(r, at);
        if (pad >= there) return NULL;
        at += pad;
        there -= pad;
        rec = record_at(r, at);
        if (!may_touch(r, at, 1)) return NULL;
    }
    record now = *(const volatile record *)rec; /* once: what is checked is what is used */
    uint64_t units = units_of(now.size);
    if (units > there || units > to_end_of_segment(r, at) || !may_touch(r, at, units)) return NULL;
    *next = at + units;
    *size = now.size;
    *extent = SPORK__ARENA_NONE;
    if (now.kind == INLINE) return rec;
    if (now.kind != EXTENT || now.size != sizeof(place)) return NULL;
    place where = *(const volatile place *)(const void *)(rec + 1);
    if (where.size > r->largest) return NULL;
    *size = (size_t)where.size;
    *extent = where.extent;
    return rec;
}

#define TAKING UINT32_C(0x80000000)
static uint64_t note(uint64_t index) { return index & count_mask; }

/* Moves the getting index; the message is this process' from here on. Only who has the lock writes these words, so stores will do. */
static void move_get_index(spork__ring *r, uint64_t next, spork__ring_hands *hands)
{
    in_dialogue = false;
    side *s = &r->words->get;
    uint64_t index = load(&s->index, memory_order_relaxed);
    _Atomic uint64_t *taken = (_Atomic uint64_t *)&hands->taken;
    uint32_t count = (uint32_t)load(taken, memory_order_relaxed);
    atomic_store_explicit(taken, (note(index) | TAKING) << 32 | count, memory_order_relaxed);
    spork__at(SPORK__AT_RING_GET_NOTED);
    atomic_store_explicit(&s->index, word(next, index + 1), memory_order_release);
    spork__at(SPORK__AT_RING_GET_COMMITTED);
    atomic_store_explicit(taken, note(index) << 32 | (uint32_t)(count + 1), memory_order_release);
}

static uint32_t done_of(const spork__ring_hands *hands)
{
    return atomic_load_explicit((const _Atomic uint32_t *)&hands->done, memory_order_acquire);
}

static uint32_t open_at(const spork__ring *r, uint64_t taken, uint32_t done)
{
    uint32_t open = (uint32_t)taken - done, taking = (uint32_t)(taken >> 32);
    if (!(taking & TAKING)) return open;
    uint32_t passed = messages(taking, load(&r->words->get.index, memory_order_acquire));
    return open + (passed != 0 && passed < count_mask / 2);
}

bool spork__ring_is_taking(const spork__ring_hands *hands) { return (spork__ring_taken(hands) >> 32 & TAKING) != 0; }

uint64_t spork__ring_taken(const spork__ring_hands *hands)
{
    return load((const _Atomic uint64_t *)&hands->taken, memory_order_acquire);
}

uint32_t spork__ring_open(const spork__ring *r, const spork__ring_hands *hands)
{
    return open_at(r, spork__ring_taken(hands), done_of(hands));
}

uint32_t spork__ring_write_off(const spork__ring *r, spork__ring_hands *hands, uint64_t taken)
{
    uint32_t done = done_of(hands), open = open_at(r, taken, done);
    return atomic_compare_exchange_strong((_Atomic uint64_t *)&hands->taken, &taken, (uint64_t)done) ? open : 0;
}

bool spork__ring_done(spork__ring_hands *hands)
{
    _Atomic uint32_t *done = (_Atomic uint32_t *)&hands->done;
    uint32_t before = atomic_load_explicit(done, memory_order_relaxed);
    do
        if (before == (uint32_t)load((_Atomic uint64_t *)&hands->taken, memory_order_acquire)) return false;
    while (
        !atomic_compare_exchange_weak_explicit(done, &before, before + 1, memory_order_release, memory_order_relaxed));
    return true;
}

/* Gives up the lock, and the extent, if there is one, after `copy` bytes of it were copied. */
static void finish_get_with(spork__ring *r, uint32_t me, uint32_t extent, void *to,
                            const void *from, size_t copy)
{
    unlock_as(r, false, me);
    spork__at(SPORK__AT_RING_GET_UNLOCKED);
    pass_on(r);
    spork__copy(to, from, copy);
    if (extent != SPORK__ARENA_NONE) spork__arena_free(&r->arena, extent, me);
    spork__bell_ring_late(&r->words->room_bell, ear_of(r, true));
}

static void finish_get(spork__ring *r, uint32_t extent)
{
    finish_get_with(r, spork__tree_self(), extent, NULL, NULL, 0);
}

/* Under the lock. SPORK_TIMEOUT: there is none yet. */
static spork_status find_message(spork__ring *r, const spork__ring_wait *wait, const record **rec,
                                 uint64_t *next, size_t *size, uint32_t *extent)
{
    if (!finds_message(r)) return SPORK_TIMEOUT;
    if (!wait->allowed(wait->user))
        return spork__fail(SPORK_CLOSED, "the role was given up meanwhile");
    return (*rec = next_record(r, next, size, extent)) != NULL ? SPORK_OK : damaged();
}

/* With the lock held if it succeeds. */
static spork_status lock_and_find_message(spork__ring *r, spork__ring_wait *wait, const record **rec, uint64_t *next,
                                          size_t *size, uint32_t *extent)
{
    spork_status status = seems_empty(r) ? wait_for_message(r, wait) : SPORK_OK;
    while (status == SPORK_OK && (status = lock(r, false, &wait->deadline)) == SPORK_OK) {
        spork__at(SPORK__AT_RING_GET_LOCKED);
        if ((status = find_message(r, wait, rec, next, size, extent)) == SPORK_OK) return SPORK_OK;
        unlock(r, false);
        if (status == SPORK_TIMEOUT) status = wait_for_message(r, wait);
        if (status != SPORK_OK) break;
    }
    pass_on(r);
    return status;
}

/* Under the lock, which it gives up. A large message is copied after that, beside others. */
static spork_status get_extent(spork__ring *r, uint32_t extent, uint64_t next, spork__ring_sink *sink,
                               spork__ring_hands *hands)
{
    size_t room;
    const void *from = spork__arena_data(&r->arena, extent, &room);
    if (from == NULL || room < sink->size) {
        unlock(r, false);
        return damaged();
    }
    move_get_index(r, next, hands);
    spork__arena_hand(&r->arena, extent, SPORK__ARENA_NOBODY, spork__tree_self());
    spork__at(SPORK__AT_RING_GET_HANDED);
    finish_get_with(r, spork__tree_self(), extent, sink->data, from, sink->size);
    return SPORK_OK;
}

SPORK__SHORT_WAY bool spork__ring_get_at_once(spork__ring *r, uint32_t me,
                                              const spork__ring_rights *rights, void *to,
                                              size_t room, size_t *received,
                                              spork__ring_hands *hands)
{
    uint64_t next;
    uint32_t extent;
    size_t size;
    const record *rec;
    if (spork__planted(SPORK__BUG_RING_READS_UNLOCKED) || seems_empty(r) ||
        !spork__robust_try_as(&r->words->get.lock, me))
        return false;
    spork__at(SPORK__AT_RING_GET_LOCKED);
    if (!finds_message(r) || !spork__ring_may_get(rights) ||
        (rec = next_record(r, &next, &size, &extent)) == NULL || extent != SPORK__ARENA_NONE ||
        size > room) {
        unlock_as(r, false, me);
        return false;
    }
    spork__copy(to, rec + 1, size);
    move_get_index(r, next, hands);
    finish_get_with(r, me, SPORK__ARENA_NONE, NULL, NULL, 0);
    if (received != NULL) *received = size;
    return true;
}

spork_status spork__ring_get(spork__ring *r, spork__ring_sink *sink, spork__ring_hands *hands, spork__ring_wait *wait)
{
    uint64_t next;
    uint32_t extent;
    const record *rec = NULL;
    spork_status status = lock_and_find_message(r, wait, &rec, &next, &sink->size, &extent);
    if (status != SPORK_OK) return status;
    if ((sink->data = sink->room(sink, sink->size)) == NULL) {
        spork__ring_put_back(r);
        return sink->status;
    }
    if (extent != SPORK__ARENA_NONE) return get_extent(r, extent, next, sink, hands);
    spork__copy(sink->data, rec + 1, sink->size);
    move_get_index(r, next, hands);
    finish_get(r, SPORK__ARENA_NONE);
    return SPORK_OK;
}

/* ---- without a copy ---- */

spork_status spork__ring_reserve(spork__ring *r, size_t size, spork__ring_loan *loan,
                                 spork__ring_wait *wait)
{
    size_t room;
    bool in_ring = goes_inline(r, size);
    *loan = (spork__ring_loan){.size = size, .extent = SPORK__ARENA_NONE};
    spork_status status = spork__ring_fits(r, size);
    if (status != SPORK_OK) return status;
    status = in_ring ? lock_and_find_room(r, units_of(size), wait, &loan->at)
                     : place_extent(r, NULL, size, wait, &loan->extent, &loan->at);
    if (status != SPORK_OK) return status;
    end_lease(r, &r->words->put.room, wait); /* from here on it has the lock */
    loan->data =
        in_ring ? record_at(r, loan->at) + 1 : spork__arena_data(&r->arena, loan->extent, &room);
    if (loan->data != NULL) return SPORK_OK;
    spork__ring_give_up(r, loan);
    return damaged();
}

void spork__ring_commit(spork__ring *r, spork__ring_loan *loan, size_t size)
{
    if (loan->extent != SPORK__ARENA_NONE) {
        commit_extent(r, NULL, loan->at, loan->extent, size);
        return;
    }
    *record_at(r, loan->at) = (record){(uint32_t)size, INLINE};
    move_put_index(r, loan->at + units_of(size));
    finish_put(r, NULL);
}

void spork__ring_give_up(spork__ring *r, spork__ring_loan *loan)
{
    unlock(r, true);
    if (loan->extent != SPORK__ARENA_NONE) give_extent_back(r, loan->extent);
}

spork_status spork__ring_peek(spork__ring *r, spork__ring_loan *loan, spork__ring_wait *wait)
{
    size_t room;
    const record *rec = NULL;
    *loan = (spork__ring_loan){.extent = SPORK__ARENA_NONE};
    spork_status status = lock_and_find_message(r, wait, &rec, &loan->at, &loan->size, &loan->extent);
    if (status != SPORK_OK) return status;
    loan->data = (void *)(uintptr_t)(rec + 1);
    if (loan->extent == SPORK__ARENA_NONE) return SPORK_OK;
    loan->data = spork__arena_data(&r->arena, loan->extent, &room);
    if (loan->data != NULL && room >= loan->size) return SPORK_OK;
    unlock(r, false);
    return damaged();
}

void spork__ring_release(spork__ring *r, spork__ring_loan *loan, spork__ring_hands *hands)
{
    uint32_t me = spork__tree_self();
    move_get_index(r, loan->at, hands);
    if (loan->extent != SPORK__ARENA_NONE) spork__arena_hand(&r->arena, loan->extent, SPORK__ARENA_NOBODY, me);
    finish_get(r, loan->extent);
}

void spork__ring_put_back(spork__ring *r)
{
    unlock(r, false);
    pass_on(r);
}

/* ---- the rest ---- */

spork_status spork__ring_pass(spork__ring *r, int timeout_ms)
{
    spork_status status = lock_within(r, true, timeout_ms);
    if (status == SPORK_OK) unlock(r, true);
    return status == SPORK_TIMEOUT ? not_had(r, true, timeout_ms) : status;
}

/* A thread of ours that has the lock commits soon. Bounded: it may also have the queue a second
 * time, and reserved room there. */
void spork__ring_pass_own(spork__ring *r)
{
    uint32_t me = spork__tree_self();
    atomic_thread_fence(memory_order_seq_cst); /* the role is given up before the look */
    for (int ms = 0; ms < PASS_MS && spork__robust_owner(&r->words->put.lock) == me; ms++) spork__os_sleep(1);
}

size_t spork__ring_count(const spork__ring *r)
{
    uint64_t got = load(&r->words->get.index, memory_order_acquire); /* first: it never passes the other */
    return messages(got, load(&r->words->put.index, memory_order_acquire));
}

bool spork__ring_is_empty(const spork__ring *r, uint64_t *put)
{
    *put = load(&r->words->put.index, memory_order_acquire); /* first: what is got by then was put by then */
    return messages(load(&r->words->get.index, memory_order_acquire), *put) == 0;
}

bool spork__ring_ready(spork__ring *r, bool putting)
{
    uint64_t got = load(&r->words->get.index, memory_order_acquire),
             put = load(&r->words->put.index, memory_order_acquire);
    if (!putting) {
        if (messages(got, put) == 0) rest(r);
        return messages(got, put) != 0;
    }
    need small = {.units =
                      units_of(0) + 8}; /* a small message; a large one may still have to wait */
    measure(r, &small, put);
    if (!fits(r, &small, got)) return false;
    /* When a dead one's lease has run out nobody tells who waits by a handle. */
    uint32_t first = spork__lease_holder(&r->words->put.room);
    if (first == 0 || spork__tree_alive(first)) return first == 0;
    spork__lease_expel(&r->words->put.room, first);
    return true;
}

spork_native spork__ring_announce(spork__ring *r, bool putting)
{
    spork__bell_announce_polling(bell_of(r, putting));
    return spork__bell_handle(ear_of(r, putting));
}

void spork__ring_quiet(spork__ring *r, bool putting) { spork__bell_quiet(ear_of(r, putting)); }
void spork__ring_call(spork__ring *r, bool putting) { spork__bell_call(bell_of(r, putting), ear_of(r, putting)); }

void spork__ring_wake_all(spork__ring *r)
{
    spork__bell_ring(&r->words->room_bell, ear_of(r, true));
    spork__bell_ring(&r->words->data_bell, ear_of(r, false));
}

bool spork__ring_awaited(const spork__ring *r, bool putting)
{
    return spork__bell_awaited(putting ? &r->words->room_bell : &r->words->data_bell);
}

bool spork__ring_leased(const spork__ring *r)
{
    return spork__lease_holder(&r->words->put.room) != 0;
}

size_t spork__ring_tidy(spork__ring *r)
{
    uint64_t bytes;
    for (int putting = 0; putting < 2; putting++) { /* taking a dead one's lock over mends its side */
        if (lock_within(r, putting, 1000) == SPORK_OK) unlock(r, putting);
    }
    spork__arena_sweep(&r->arena, NULL, NULL);
    return spork__arena_used(&r->arena, &bytes);
}
