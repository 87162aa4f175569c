/* A table of extents {owner, place, length}, and nothing else: what is free is what no extent covers. `owner` 0 means that there is no
 * extent, whatever its other words hold; so an extent comes to be, changes hands and ends by one store or compare-and-swap of that
 * word. The lock is only for finding a place: two must not find the same.
 *
 * What a death leaves behind, at each point:
 *     locked     the lock, which is taken over by the next (robust.c); the table is whole at every moment
 *     written    words of an extent that has no owner: none
 *     taken      an extent of a dead owner, until a sweep: the next take that finds no room makes one
 *     freeing    the same
 * Memory that was committed stays, until there is no extent, and somebody gives it back
 * (under the lock, too): then all processes are told first, by another number, that what they have
 * seen to be there is not to be relied upon.
 *
 * Place and length are read by others only as long as the owner's word says that there is an extent, which is written after
 * them; still, they come from memory that others can write, and are checked before they are used. */
#include "arena.h"

#include <stdatomic.h>

#include "error.h"
#include "fault.h"
#include "robust.h"
#include "tree.h"

enum { MAGIC = 0x4E524153 /* "SARN" */, LAYOUT = 2, LOCK_MS = 50 };

/* Units that are kept when there is no extent, and that are given back at once: others may wait. */
enum { KEPT = (4 << 20) / SPORK__ARENA_UNIT, AT_ONCE = (16 << 20) / SPORK__ARENA_UNIT };

typedef struct extent {
    _Atomic uint32_t owner;
    _Atomic uint32_t first, count; /* in units */
    uint32_t room;
    _Atomic uint64_t mark;
    uint64_t room_too;
} extent;
_Static_assert(sizeof(extent) == 32, "the same on both sides of a process' border");

struct spork__arena_table {
    _Alignas(128) spork__robust lock;
    _Alignas(128) uint32_t magic;
    uint32_t layout, extents, units;
    _Atomic uint32_t used; /* no extent from this one on has ever been used */
    _Atomic uint32_t takes; /* how often the lock was had; it comes round */
    _Atomic uint32_t trims; /* how often memory was given back; the same */
    _Atomic uint32_t high;  /* units from the first on that may have memory */
    _Alignas(128) extent extent[SPORK__ARENA_EXTENTS];
};

size_t spork__arena_table_size(void) { return sizeof(spork__arena_table); }

/* What was checked when it was opened; the table's own word could have been damaged since. */
static uint32_t units(const spork__arena *arena) { return (uint32_t)(arena->size / SPORK__ARENA_UNIT); }

spork_status spork__arena_open(spork__arena *arena, bool make)
{
    spork__arena_table *t = arena->table;
    if (arena->size / SPORK__ARENA_UNIT > INT32_MAX)
        return spork__fail(SPORK_TOO_LARGE, "%zu bytes are more than shared memory is given out for", arena->size);
    if (make) {
        t->layout = LAYOUT;
        t->extents = SPORK__ARENA_EXTENTS;
        t->units = units(arena);
        t->magic = MAGIC;
    }
    if (t->magic != MAGIC || t->layout != LAYOUT || t->extents != SPORK__ARENA_EXTENTS || t->units != units(arena))
        return spork__fail(SPORK_BAD_MESSAGE, "shared memory is of another version of Spork, or damaged");
    return SPORK_OK;
}

static extent *known(const spork__arena *arena, uint32_t index)
{
    return index < SPORK__ARENA_EXTENTS ? &arena->table->extent[index] : NULL;
}

/* How many there are to look at; never more than fit, whatever the word says. */
static uint32_t used(const spork__arena_table *t)
{
    uint32_t n = atomic_load_explicit(&t->used, memory_order_acquire);
    return n < SPORK__ARENA_EXTENTS ? n : SPORK__ARENA_EXTENTS;
}

/* The end of an extent that covers some of [first, first + count); 0: none does. */
static uint64_t in_the_way(spork__arena_table *t, uint64_t first, uint64_t count)
{
    for (uint32_t i = 0, n = used(t); i < n; i++) {
        extent *e = &t->extent[i];
        if (atomic_load_explicit(&e->owner, memory_order_acquire) == 0) continue;
        uint64_t from = atomic_load_explicit(&e->first, memory_order_relaxed);
        uint64_t to = from + atomic_load_explicit(&e->count, memory_order_relaxed);
        if (from < first + count && first < to) return to;
    }
    return 0;
}

/* The first place that is large enough. Each step leaves an extent behind it, so it ends; damaged words cannot prolong it. */
static bool find_place(const spork__arena *arena, uint64_t count, uint32_t *first)
{
    spork__arena_table *t = arena->table;
    uint64_t at = 0;
    for (uint32_t steps = 0; steps <= SPORK__ARENA_EXTENTS && at + count <= units(arena); steps++) {
        uint64_t next = in_the_way(t, at, count);
        if (next == 0 || spork__planted(SPORK__BUG_ARENA_OVERLAPS)) {
            *first = (uint32_t)at;
            return true;
        }
        at = next;
    }
    return false;
}

static extent *find_free(spork__arena_table *t, uint32_t *index)
{
    uint32_t n = used(t);
    for (*index = 0; *index < n; ++*index)
        if (atomic_load_explicit(&t->extent[*index].owner, memory_order_acquire) == 0) return &t->extent[*index];
    if (n == SPORK__ARENA_EXTENTS) return NULL;
    atomic_store_explicit(&t->used, n + 1, memory_order_release);
    return &t->extent[n];
}

/* Never more than there are, whatever the word says. */
static uint32_t high(const spork__arena *arena)
{
    uint32_t n = atomic_load_explicit(&arena->table->high, memory_order_relaxed);
    return n < units(arena) ? n : units(arena);
}

static uint64_t trims_of(const spork__arena *arena)
{
    return atomic_load_explicit(&arena->table->trims, memory_order_acquire);
}
/* Of what was seen, if nothing was given back since. */
static uint32_t have_of(uint64_t seen, uint64_t trims)
{
    return seen >> 32 == trims ? (uint32_t)seen : 0;
}

/* Each process asks the system itself, once: what others write about it could be wrong, and the price a crash. Up to `taken` there are
 * extents, whose memory was there before they were: one that reaches beyond all that there is is damaged, and must not
 * cost all that the system has. */
static spork_status commit(const spork__arena *arena, uint32_t taken, uint32_t end)
{
    _Atomic uint64_t *committed = (_Atomic uint64_t *)&arena->committed;
    uint64_t seen = atomic_load_explicit(committed, memory_order_relaxed), trims = trims_of(arena);
    uint32_t have = have_of(seen, trims);
    if (end <= have) return SPORK_OK;
    if (taken > have && taken > spork__os_block_committed(arena->block) / SPORK__ARENA_UNIT)
        return spork__fail(SPORK_BAD_MESSAGE,
                           "an extent of shared memory is damaged: it ends at %llu bytes, of which not all are there",
                           (unsigned long long)taken * SPORK__ARENA_UNIT);
    spork_status status = spork__os_block_afford((size_t)(end - (taken > have ? taken : have)) * SPORK__ARENA_UNIT);
    if (status == SPORK_OK)
        status = spork__os_block_commit(arena->block, arena->offset + (size_t)have * SPORK__ARENA_UNIT,
                                        (size_t)(end - have) * SPORK__ARENA_UNIT);
    while (status == SPORK_OK && have_of(seen, trims) < end &&
           !atomic_compare_exchange_weak_explicit(committed, &seen, trims << 32 | end,
                                                  memory_order_relaxed, memory_order_relaxed)) {}
    return status;
}

static void discard(const spork__arena *arena, uint32_t from, uint32_t to)
{
    if (from >= to) return;
    spork__os_block_discard(arena->block, arena->offset + (size_t)from * SPORK__ARENA_UNIT,
                            (size_t)(to - from) * SPORK__ARENA_UNIT);
}

/* Under the lock, for units that no extent has. What the system gave before it had no more goes back:
 * beyond what had any before, nobody relies on it. */
static spork_status get_memory(const spork__arena *arena, uint32_t first, uint32_t end)
{
    _Atomic uint32_t *high_ = &arena->table->high;
    uint32_t had = high(arena);
    if (had < end) atomic_store_explicit(high_, end, memory_order_relaxed);
    spork_status status = commit(arena, first, end);
    if (status == SPORK_OK || had >= end) return status;
    discard(arena, had > first ? had : first, end);
    atomic_store_explicit(high_, had, memory_order_relaxed);
    return status;
}

/* Under the lock. */
static spork_status take(spork__arena *arena, uint32_t count, uint32_t me, uint32_t *index)
{
    uint32_t first;
    extent *e = find_free(arena->table, index);
    if (e == NULL || !find_place(arena, count, &first)) return SPORK_TIMEOUT;
    spork_status status = get_memory(arena, first, first + count);
    if (status != SPORK_OK) return status;
    atomic_store_explicit(&e->first, first, memory_order_relaxed);
    atomic_store_explicit(&e->count, count, memory_order_relaxed);
    atomic_store_explicit(&e->mark, 0, memory_order_relaxed);
    spork__at(SPORK__AT_ARENA_WRITTEN);
    atomic_store_explicit(&e->owner, me, memory_order_release);
    spork__at(SPORK__AT_ARENA_TAKEN);
    return SPORK_OK;
}

spork_status spork__arena_take(spork__arena *arena, size_t size, uint32_t *index)
{
    spork__arena_table *t = arena->table;
    uint32_t me = spork__tree_self();
    size_t count = size / SPORK__ARENA_UNIT + (size % SPORK__ARENA_UNIT != 0 || size == 0);
    if (me == 0) return spork_last_status();
    if (count > units(arena))
        return spork__fail(SPORK_TOO_LARGE, "%zu bytes do not fit into %zu bytes of shared memory", size, arena->size);
    for (int attempt = 0;; attempt++) {
        /* Held for a moment only; should its owner be stopped, that must not stop a caller who has less time. */
        spork_status status = spork__robust_acquire(&t->lock, arena->berth, LOCK_MS);
        if (status != SPORK_OK && status != SPORK_OWNER_DIED) return status; /* the table is whole all the same */
        atomic_fetch_add_explicit(&t->takes, 1, memory_order_relaxed);
        spork__at(SPORK__AT_ARENA_LOCKED);
        status = take(arena, (uint32_t)count, me, index);
        spork__robust_release(&t->lock, arena->berth);
        if (status != SPORK_TIMEOUT || attempt > 0 || spork__arena_sweep(arena, NULL, NULL) == 0) return status;
    }
}

void *spork__arena_data(const spork__arena *arena, uint32_t index, size_t *size)
{
    extent *e = known(arena, index);
    if (e != NULL && atomic_load_explicit(&e->owner, memory_order_acquire) != 0) {
        uint64_t first = atomic_load_explicit(&e->first, memory_order_relaxed);
        uint64_t count = atomic_load_explicit(&e->count, memory_order_relaxed);
        if (count > 0 && first + count <= units(arena)) {
            uint32_t end = (uint32_t)(first + count);
            if (commit(arena, end, end) != SPORK_OK) return NULL;
            *size = (size_t)count * SPORK__ARENA_UNIT;
            return (char *)arena->block->data + arena->offset + (size_t)first * SPORK__ARENA_UNIT;
        }
    }
    *size = 0;
    spork__fail(SPORK_BAD_MESSAGE, "extent %u of shared memory is none, or damaged", index);
    return NULL;
}

bool spork__arena_hand(const spork__arena *arena, uint32_t index, uint32_t from, uint32_t to)
{
    extent *e = known(arena, index);
    return e != NULL && from != 0 &&
           atomic_compare_exchange_strong_explicit(&e->owner, &from, to, memory_order_acq_rel, memory_order_relaxed);
}

uint32_t spork__arena_owner(const spork__arena *arena, uint32_t index)
{
    extent *e = known(arena, index);
    return e != NULL ? atomic_load_explicit(&e->owner, memory_order_acquire) : 0;
}

bool spork__arena_free(const spork__arena *arena, uint32_t index, uint32_t owner)
{
    spork__at(SPORK__AT_ARENA_FREEING);
    return spork__arena_hand(arena, index, owner, 0);
}

void spork__arena_set_mark(const spork__arena *arena, uint32_t index, uint64_t mark)
{
    extent *e = known(arena, index);
    if (e != NULL) atomic_store_explicit(&e->mark, mark, memory_order_release);
}

uint64_t spork__arena_mark(const spork__arena *arena, uint32_t index)
{
    extent *e = known(arena, index);
    return e != NULL ? atomic_load_explicit(&e->mark, memory_order_acquire) : 0;
}

size_t spork__arena_sweep(spork__arena *arena, spork__arena_lost lost, void *user)
{
    size_t freed = 0;
    if (spork__planted(SPORK__BUG_ARENA_LEAKS)) return 0;
    for (uint32_t i = 0, n = used(arena->table); i < n; i++) {
        extent *e = &arena->table->extent[i];
        uint32_t owner = atomic_load_explicit(&e->owner, memory_order_acquire);
        if (owner == 0 || (owner == SPORK__ARENA_NOBODY && lost == NULL)) continue;
        if (owner != SPORK__ARENA_NOBODY && spork__tree_alive(owner) && !spork__planted(SPORK__BUG_ARENA_ROBS))
            continue;
        if (lost != NULL && !lost(user, owner, atomic_load_explicit(&e->mark, memory_order_acquire))) continue;
        /* If somebody else swept it, and another has taken it since, the word differs: the dead one's id comes back to nobody. */
        freed += spork__arena_hand(arena, i, owner, 0);
    }
    return freed;
}

static bool is_empty(const spork__arena_table *t)
{
    for (uint32_t i = 0, n = used(t); i < n; i++)
        if (atomic_load_explicit(&t->extent[i].owner, memory_order_acquire) != 0) return false;
    return true;
}

/* Under the lock. */
static bool give_some_back(spork__arena *arena)
{
    spork__arena_table *t = arena->table;
    uint32_t had = high(arena), from = had > KEPT + AT_ONCE ? had - AT_ONCE : KEPT;
    if (had <= KEPT || !is_empty(t)) return false;
    atomic_fetch_add_explicit(&t->trims, 1, memory_order_release);
    spork__at(SPORK__AT_ARENA_TRIMMED);
    discard(arena, from, had);
    atomic_store_explicit(&t->high, from, memory_order_relaxed);
    return true;
}

bool spork__arena_trim(spork__arena *arena)
{
    spork__arena_table *t = arena->table;
    if (!spork__arena_holds_more(arena)) return false;
    spork__arena_sweep(arena, NULL, NULL);
    if (!is_empty(t)) return false;
    spork_status status = spork__robust_acquire(&t->lock, arena->berth, 0);
    if (status != SPORK_OK && status != SPORK_OWNER_DIED) return false;
    bool some = give_some_back(arena);
    spork__robust_release(&t->lock, arena->berth);
    return some;
}

bool spork__arena_holds_more(const spork__arena *arena)
{
    return high(arena) > KEPT && spork__os_block_can_discard();
}

uint32_t spork__arena_locked_by(const spork__arena *arena, uint32_t *time)
{
    uint32_t owner = spork__robust_owner(&arena->table->lock);
    *time = atomic_load_explicit(&arena->table->takes, memory_order_relaxed);
    if (owner != 0) *time += (uint32_t)(spork__os_block_committed(arena->block) / SPORK__ARENA_UNIT);
    return owner;
}

size_t spork__arena_used(const spork__arena *arena, uint64_t *bytes)
{
    size_t count = 0;
    *bytes = 0;
    for (uint32_t i = 0, n = used(arena->table); i < n; i++) {
        const extent *e = &arena->table->extent[i];
        if (atomic_load_explicit(&e->owner, memory_order_acquire) == 0) continue;
        count++;
        *bytes += (uint64_t)atomic_load_explicit(&e->count, memory_order_relaxed) * SPORK__ARENA_UNIT;
    }
    return count;
}
