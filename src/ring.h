/* The ring: a bounded queue of messages in shared memory, for any number of processes on each side, that no death can break. Small
 * messages lie in the ring, large ones in an arena beside it, and the ring holds their place. Each side has a lock and an index; a
 * message is there when the index has moved over it, and until then it is nothing. */
#ifndef SPORK_RING_H
#define SPORK_RING_H

#include "arena.h"
#include "backoff.h"
#include "bell.h"
#include "deadline.h"
#include "platform.h"
#include "segments.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct spork__ring_words spork__ring_words;

/* What goes from process to process beside the memory: berths of the locks, ears for the bells. */
enum { SPORK__RING_PUT_LOCK, SPORK__RING_GET_LOCK, SPORK__RING_ARENA_LOCK, SPORK__RING_LOCKS };
enum { SPORK__RING_ROOM, SPORK__RING_DATA, SPORK__RING_BELLS };

/* A process' view. */
typedef struct spork__ring {
    const spork__block *block;
    spork__ring_words *words;
    spork__segments segments;
    uint64_t units;   /* of 8 bytes: places until they come round, a power of two */
    uint64_t room;    /* units of which there can be records at once */
    uint64_t segment; /* units in one */
    uint64_t largest; /* message */
    uint32_t most;    /* messages at once */
    spork__arena arena;
    spork_native berths[SPORK__RING_LOCKS];
    spork__ear ears[SPORK__RING_BELLS];
    /* Its user's, or NULL: under the getting side's lock, which was taken over from a dead process; nobody has got anything since. */
    void (*getter_died)(void *user);
    void *user;
    spork__backoff waits[2], turns[2]; /* of getting, and of putting */
    uint64_t asked_at; /* atomic: when somebody who only looks last asked whether the other side is deserted */
    uint64_t idle_since; /* atomic: when it was first found empty, and too large for that */
} spork__ring;

/* Bytes of a block that a ring needs: those in use from the start, those before the arena, all. */
typedef struct spork__ring_sizes {
    size_t fixed, ring, whole;
} spork__ring_sizes;
/* For messages of up to `capacity` bytes. SPORK_TOO_LARGE. */
spork_status spork__ring_plan(size_t capacity, spork__ring_sizes *sizes);
/* A ring at `offset` of the block, of zeroed and committed memory. */
spork_status spork__ring_make(spork__ring *ring, const spork__block *block, size_t offset, size_t capacity,
                              uint32_t most);
/* One that is there; SPORK_BAD_MESSAGE if its words cannot be true. */
spork_status spork__ring_join(spork__ring *ring, const spork__block *block, size_t offset);

/* What a receiver has in hands: its process writes it, and others read it once that has died. Zero: nothing. */
typedef struct spork__ring_hands {
    /* Atomic: whether one is being taken << 63 | its number, or the last one's << 32 | how many were. Never the same again. */
    uint64_t taken;
    uint32_t done;  /* atomic: how many of these are done */
    uint32_t room;
} spork__ring_hands;
/* How many messages it has in hands. */
uint32_t spork__ring_open(const spork__ring *ring, const spork__ring_hands *hands);
/* The word `taken`, and with that: makes it as if a dead process had nothing in hands; how many it had. 0 if the word has changed. */
uint64_t spork__ring_taken(const spork__ring_hands *hands);
uint32_t spork__ring_write_off(const spork__ring *ring, spork__ring_hands *hands, uint64_t taken);
/* Whether it was in the middle of taking one. */
bool spork__ring_is_taking(const spork__ring_hands *hands);
/* One of them is done; false: there is none. */
bool spork__ring_done(spork__ring_hands *hands);

/* What the ring asks its user while it waits, and before it moves an index. */
typedef struct spork__ring_wait {
    spork__deadline deadline;
    /* Is nobody left on the other side, or the wait pointless otherwise? `thorough`: look; else only if something is known to have
     * changed. */
    bool (*deserted)(void *user, bool thorough);
    /* Under the lock: may this side still do this? Where it may not, and says so to no more puts, no message comes after the end. */
    bool (*allowed)(void *user);
    void *user;
    /* A cancelled wait gives back what is the user's, too; NULL: nothing is. */
    const spork__cleanup *cleanup;
    /* The ring's: how often it slept, who it is where room is leased (0: has no lease), and whether
     * it waits for an extent. */
    unsigned sleeps;
    uint64_t tenant;
    bool for_extent;
} spork__ring_wait;

/* SPORK_TOO_LARGE, with a sentence: no message of that size will ever fit. */
spork_status spork__ring_fits(const spork__ring *ring, size_t size);
/* SPORK_OK; SPORK_TIMEOUT; SPORK_TOO_LARGE; SPORK_CLOSED: it would have to wait, but the other side is deserted;
 * SPORK_BAD_MESSAGE: the words are damaged; SPORK_NO_SPACE: no memory, or no place in the tree. */
spork_status spork__ring_put(spork__ring *ring, const void *data, size_t size, spork__ring_wait *wait);

/* Where a message shall go, now that its size is known. NULL, with `status` set: nowhere, it stays. */
typedef struct spork__ring_sink {
    void *(*room)(struct spork__ring_sink *sink, size_t size);
    spork_status status;
    void *data;
    size_t size;
} spork__ring_sink;
spork_status spork__ring_get(spork__ring *ring, spork__ring_sink *sink, spork__ring_hands *hands,
                             spork__ring_wait *wait);

#ifndef __cplusplus

#include <stdatomic.h>

/* What a process may do with a ring, for the calls below. */
typedef struct spork__ring_rights {
    atomic_bool get, put;
    const _Atomic uint32_t *closed; /* not 0: nobody puts any more */
} spork__ring_rights;
/* Under the lock: who closes waits until nobody has it; who drops a role, until it sees that this
 * process has not, which sequential consistency decides. */
static inline bool spork__ring_may_put(const spork__ring_rights *rights)
{
    return atomic_load(&rights->put) &&
           atomic_load_explicit(rights->closed, memory_order_relaxed) == 0;
}
static inline bool spork__ring_may_get(const spork__ring_rights *rights)
{
    return atomic_load(&rights->get);
}
/* The short way, for a message of the ring itself, if there is nothing to wait for, to mend, or to
 * explain, which is nearly always so. `me`: spork__tree_self_at_a_glance(). False: nothing was done,
 * and the other way is to be taken. */
bool spork__ring_put_at_once(spork__ring *ring, uint32_t me, const spork__ring_rights *rights,
                             const void *data, size_t size);
bool spork__ring_get_at_once(spork__ring *ring, uint32_t me, const spork__ring_rights *rights,
                             void *to, size_t room, size_t *received, spork__ring_hands *hands);

#endif

/* Without a copy, on a side that has one user only: its lock is held from the one call to the other. */
typedef struct spork__ring_loan {
    void *data;
    size_t size;
    uint32_t extent; /* SPORK__ARENA_NONE: in the ring itself */
    uint64_t at;     /* where its record is, or the one behind it */
} spork__ring_loan;
spork_status spork__ring_reserve(spork__ring *ring, size_t size, spork__ring_loan *loan, spork__ring_wait *wait);
/* `size` may be less than was reserved. */
void spork__ring_commit(spork__ring *ring, spork__ring_loan *loan, size_t size);
void spork__ring_give_up(spork__ring *ring, spork__ring_loan *loan);
spork_status spork__ring_peek(spork__ring *ring, spork__ring_loan *loan, spork__ring_wait *wait);
void spork__ring_release(spork__ring *ring, spork__ring_loan *loan, spork__ring_hands *hands);
/* It stays the next. */
void spork__ring_put_back(spork__ring *ring);

/* Waits until nobody is in the middle of a put: who was not allowed any more before this will not put after it. */
spork_status spork__ring_pass(spork__ring *ring, int timeout_ms);
/* The same for the puts of this process alone: one of another's may be stopped, or a room that was
 * reserved. */
void spork__ring_pass_own(spork__ring *ring);
/* Messages in it. */
size_t spork__ring_count(const spork__ring *ring);
/* Whether there is none, and where the next put will be: there is none as long as that stays. */
bool spork__ring_is_empty(const spork__ring *ring, uint64_t *put);
/* For who waits by handles: whether a put, or a get, would find room, or a message; and the handle that wakes if not, after the
 * announcement that it is waited on. */
bool spork__ring_ready(spork__ring *ring, bool putting);
spork_native spork__ring_announce(spork__ring *ring, bool putting);
/* The handle has woken us, or is to be fresh. */
void spork__ring_quiet(spork__ring *ring, bool putting);
/* Wakes all who wait on that handle. */
void spork__ring_call(spork__ring *ring, bool putting);
/* Wakes all who sleep, to look around. */
void spork__ring_wake_all(spork__ring *ring);
/* Whether somebody of that side has announced a sleep, and was not woken since. For tests. */
bool spork__ring_awaited(const spork__ring *ring, bool putting);
/* Whether somebody who has waited long for room has a lease of it. For tests. */
bool spork__ring_leased(const spork__ring *ring);
/* Takes what the dead had in hands back into the arena; extents that are left. */
size_t spork__ring_tidy(spork__ring *ring);

#ifdef __cplusplus
}
#endif
#endif
