/* The word:
 *
 *     bit 31  WAITED    somebody may be asleep: a release has to wake
 *     bit 30  RESERVED  somebody starves: the next release leaves the lock to those who have waited for long
 *     29..0   the owner's participant id, 0 if it is free
 *
 * 0 is free; RESERVED | WAITED is free for those only who have waited STARVING_MS.
 *
 * What a death leaves behind, at each point, and who mends it:
 *     taken (at once, late, or over)   the dead one's id: whoever waits takes it over within BOUND_MS
 *     announced, about to sleep        WAITED without a sleeper: a needless wake-up later
 *     reserved                         the next release reserves for nobody; who waits gets the right after STARVING_MS, and so does who
 *                                      only tries: it waits so long this once, or all who try would fail until somebody waits
 *     woken, not taken yet             the wake-up died with it: the next sleeper looks by itself within BOUND_MS
 *     found dead, not taken over yet   nothing: the next one asks, too
 *     releasing                        as taken
 *     released, nobody woken yet       as woken
 *
 * Memory order. A CAS that takes acquires: it sees what the last holder wrote. It releases too: whoever then reads this id also
 * sees the id's slot in the tree; else, on a weakly ordered machine, the id could be judged by the slot's former process, and its
 * owner be taken for dead. A CAS that sets a flag continues that release sequence. To take over needs no release from the dead: the
 * system tells of a death after the last store of the dead.
 *
 * Sources: the owner's id in the lock word and a bounded sleep are robust futexes' (Linux, Documentation/locking/
 * robust-futexes.rst), with the question asked by who waits instead of the answer given by the kernel; the waiters' bit is
 * Drepper's ("Futexes are tricky"). */
#include "robust.h"

#include "error.h"

enum { STARVING_MS = 10, BOUND_MS = 50 };
#define WAITED UINT32_C(0x80000000)
#define RESERVED UINT32_C(0x40000000)
#define OWNER UINT32_C(0x3FFFFFFF)

static bool swap(spork__robust *lock, uint32_t *seen, uint32_t wanted)
{
    return atomic_compare_exchange_strong_explicit(&lock->word, seen, wanted, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

static bool owner_died(uint32_t word)
{
    if (spork__planted(SPORK__BUG_ROBUST_NO_TAKE_OVER)) return false;
    return spork__planted(SPORK__BUG_ROBUST_DOUBTS) || !spork__tree_alive(word & OWNER);
}

/* The dead one's id names nobody else for 2^30 joins: if the word still holds it, it is the owner's, and only one follows it.
 * WAITED, as it may have had sleepers. */
static bool take_over(spork__robust *lock, uint32_t *seen, uint32_t me)
{
    spork__at(SPORK__AT_ROBUST_FOUND_DEAD);
    if (spork__planted(SPORK__BUG_ROBUST_TAKE_OVER_STORES))
        atomic_store(&lock->word, me | WAITED);
    else if (!swap(lock, seen, me | WAITED))
        return false;
    spork__at(SPORK__AT_ROBUST_TAKEN_OVER);
    return true;
}

static int at_most(int ms, int bound) { return ms < bound ? ms : bound; }

spork_status spork__robust_acquire_slowly(spork__robust *lock, spork_native berth, int timeout_ms)
{
    uint32_t me = spork__tree_self(), slept = 0;
    if (me == 0) return spork_last_status();
    uint64_t begin = spork__os_now(), ask_at = begin + STARVING_MS * UINT64_C(1000000);
    for (;;) {
        uint32_t seen = atomic_load_explicit(&lock->word, memory_order_acquire);
        uint64_t now = spork__os_now();
        int64_t waited = (int64_t)((now - begin) / 1000000);
        bool starving = waited >= STARVING_MS, late = timeout_ms >= 0 && waited >= timeout_ms;
        if ((seen & OWNER) == 0) {
            if (!(seen & RESERVED) || starving) {
                /* The release that woke us took WAITED away for all sleepers: it is put back. RESERVED is dropped: another who
                 * starves sets it again. */
                if (!swap(lock, &seen, me | slept | (seen & WAITED))) continue;
                spork__at(slept ? SPORK__AT_ROBUST_TAKEN_LATE : SPORK__AT_ROBUST_TAKEN);
                return SPORK_OK;
            }
        } else if (now >= ask_at || late) {
            if (owner_died(seen)) {
                if (!take_over(lock, &seen, me)) continue;
                return spork__planted(SPORK__BUG_ROBUST_TELLS_NOBODY) ? SPORK_OK : SPORK_OWNER_DIED;
            }
            ask_at = now + BOUND_MS * UINT64_C(1000000);
        }
        bool is_free = (seen & OWNER) == 0; /* but reserved, for one who may be dead */
        /* It leaves no reservation behind; others who starve renew theirs. */
        if (late && !is_free) {
            if (starving && seen & RESERVED && !swap(lock, &seen, seen & ~RESERVED)) continue;
            return SPORK_TIMEOUT;
        }
        uint32_t wanted = seen | WAITED | (starving ? RESERVED : 0);
        if (wanted != seen && !swap(lock, &seen, wanted)) continue;
        spork__at(starving ? SPORK__AT_ROBUST_RESERVED : SPORK__AT_ROBUST_ANNOUNCED);
        int ms = starving ? BOUND_MS : STARVING_MS - (int)waited;
        if (spork__planted(SPORK__BUG_ROBUST_SLEEPS_ON)) ms = 60000;
        if (timeout_ms >= 0 && !late) ms = at_most(ms, timeout_ms - (int)waited);
        spork__os_park(&lock->word, wanted, berth, ms);
        slept = WAITED;
        spork__at(SPORK__AT_ROBUST_WOKEN);
    }
}

spork_status spork__robust_release_slowly(spork__robust *lock, spork_native berth)
{
    uint32_t me = spork__tree_self_at_a_glance(), seen = atomic_load_explicit(&lock->word, memory_order_relaxed);
    if (me == 0) me = spork__tree_self();
    do {
        bool mine = me != 0 && (seen & OWNER) == me;
        if (!mine && !(spork__planted(SPORK__BUG_ROBUST_FREES_ANY) && seen != 0)) return SPORK_NOT_OWNER;
    } while (!atomic_compare_exchange_weak_explicit(&lock->word, &seen, seen & RESERVED ? RESERVED | WAITED : 0,
                                                    memory_order_release, memory_order_relaxed));
    spork__at(SPORK__AT_ROBUST_RELEASED);
    /* All, if it is reserved: the first that wakes might not be one of those who may take it. */
    if (seen & (RESERVED | WAITED)) spork__os_unpark(&lock->word, berth, (seen & RESERVED) != 0);
    return SPORK_OK;
}

uint32_t spork__robust_owner(const spork__robust *lock)
{
    return atomic_load_explicit(&lock->word, memory_order_relaxed) & OWNER;
}
