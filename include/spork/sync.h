/**
 * @file sync.h
 * Lock, RLock, semaphore, event, condition and barrier: between processes and between threads, all the same.
 *
 *     spork_lock *lock = spork_lock_new();
 *     spork_process *p = spork_process_new(worker, spork_pack(lock));       // an argument, under every start method
 *     ...
 *     if (spork_lock_acquire(lock, 1000) == SPORK_OK) {
 *         balance += 1;
 *         spork_lock_release(lock);
 *     } else
 *         puts(spork_error());      // "spork_lock_acquire: not within 1000 ms: Process-3 (pid 812) holds it"
 *
 * All that has to be shared lies in anonymous memory: there are no names, so nothing can be left behind. No call makes a system call
 * unless it has to wait, or somebody waits for what it does.
 *
 * ## Any status but SPORK_OK: nothing happened
 * Not held, not taken, not arrived. One exception, which a condition cannot avoid: after a wait that ends by SPORK_TIMEOUT its
 * lock is held again.
 *
 * ## Death
 * The processes that share such an object may be killed at any instant, asleep or awake. None of the others hangs for it:
 *
 * | who dies, or ends             | the others                                                                              |
 * |-------------------------------|-----------------------------------------------------------------------------------------|
 * | holds a lock                  | acquire answers SPORK_OWNER_DIED, until somebody recovers it (below)                    |
 * | holds permits of a semaphore  | they come back                                                                          |
 * | waits, for whatever           | is not counted: what it would have got goes to the living                               |
 * | was given a barrier           | SPORK_BROKEN, and the sentence names it, until the barrier is reset                     |
 *
 * It is noticed within 0.1 s or so, by those who wait. A thread that ends holding a lock is a mistake of the program, told in the log,
 * and the lock then behaves as if its process had died.
 *
 * ## A lock whose owner died
 * What it protects may be half changed. So acquire answers SPORK_OWNER_DIED (you do not hold it), to everybody, until one has repaired that:
 *
 *     while ((status = spork_lock_acquire(lock, SPORK_FOREVER)) == SPORK_OWNER_DIED)
 *         if (spork_lock_recover(lock, SPORK_FOREVER) == SPORK_OK) {       // held, and it is ours to repair
 *             repair(account);
 *             spork_lock_release(lock);                                    // whole again
 *         }                                                                // SPORK_BAD_STATE: another was quicker
 *
 * While somebody repairs it, acquire and recover wait. Who waits in a condition is not woken by that death, but told when it takes the lock
 * again.
 *
 * With `.on_owner_death = SPORK_HAND_ON` the next in line simply gets it: for what cannot be half changed.
 *
 * ## Threads
 * The owner of a lock is a thread of a process. What a process got of a semaphore, any of its threads may release.
 *
 * ## Limits
 * 4 096 processes of one family (all that descend from one program by Spork); 4 096 waiting at once in a condition.
 */
#ifndef SPORK_SYNC_H
#define SPORK_SYNC_H

#include "value.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What becomes of a lock whose owner died. */
typedef enum spork_owner_death {
    SPORK_TELL = 0,   /**< SPORK_OWNER_DIED, until it is recovered */
    SPORK_HAND_ON = 1 /**< it is free again */
} spork_owner_death;

/** All zero is the default. New members are appended in newer versions. For locks, rlocks, and the lock of a condition. */
typedef struct spork_lock_options {
    spork_owner_death on_owner_death; /**< SPORK_TELL without it */
} spork_lock_options;

/* ---- lock ----------------------------------------------------------------------------------------------------------- */

/** A lock, free; NULL with a sentence: SPORK_NO_SPACE, SPORK_NO_MEMORY. */
SPORK_API spork_lock *spork_lock_new(void);
/** The same with options: `spork_lock_new_with(&options)`. */
#define spork_lock_new_with(options) spork__lock_new((options), sizeof *(options))
/** What spork_lock_new_with calls; `size` tells which options this program was compiled with. */
SPORK_API spork_lock *spork__lock_new(const spork_lock_options *options, size_t size);

/**
 * Waits until the lock is this thread's.
 * @return SPORK_OK: held; SPORK_TIMEOUT: the sentence says who holds it; SPORK_OWNER_DIED: not held, see above; SPORK_BAD_STATE: this
 *         thread holds it already, and would wait for itself; SPORK_NO_SPACE, SPORK_UNSUPPORTED: this process cannot become one of
 *         the family (4 096 are there; another pid namespace).
 */
SPORK_API spork_status spork_lock_acquire(spork_lock *lock, int timeout_ms);

/**
 * The same for a lock whose owner died: held, to repair what it protects. The release makes it whole for all.
 * @return SPORK_OK; SPORK_BAD_STATE: nothing is to be repaired (somebody else has done it), and it is not held; otherwise as acquire.
 */
SPORK_API spork_status spork_lock_recover(spork_lock *lock, int timeout_ms);

/** Gives it up. SPORK_NOT_OWNER: this thread does not hold it; the sentence says who does. */
SPORK_API spork_status spork_lock_release(spork_lock *lock);

/** Whether anybody holds it at this moment. */
SPORK_API bool spork_lock_locked(const spork_lock *lock);

/** Lets go of it in this process; an owner that frees it has ended, for the others. NULL is fine. */
SPORK_API void spork_lock_free(spork_lock *lock);

/* ---- rlock: the owner may take it again -------------------------------------------------------------------------------- */

/** As spork_lock_new. */
SPORK_API spork_rlock *spork_rlock_new(void);
/** The same with options: `spork_rlock_new_with(&options)`. */
#define spork_rlock_new_with(options) spork__rlock_new((options), sizeof *(options))
/** What spork_rlock_new_with calls; `size` tells which options this program was compiled with. */
SPORK_API spork_rlock *spork__rlock_new(const spork_lock_options *options, size_t size);
/** As spork_lock_acquire; its owner gets it once more, at once (SPORK_TOO_LARGE: 2^32 times), and has to release it as often. */
SPORK_API spork_status spork_rlock_acquire(spork_rlock *lock, int timeout_ms);
/** As spork_lock_recover; it is held once then. */
SPORK_API spork_status spork_rlock_recover(spork_rlock *lock, int timeout_ms);
/** Gives it up once; others may have it after as many as there were acquires. SPORK_NOT_OWNER as of a lock. */
SPORK_API spork_status spork_rlock_release(spork_rlock *lock);
/** Whether anybody holds it at this moment. */
SPORK_API bool spork_rlock_locked(const spork_rlock *lock);
/** As spork_lock_free. NULL is fine. */
SPORK_API void spork_rlock_free(spork_rlock *lock);

/* ---- semaphore ------------------------------------------------------------------------------------------------------ */

/**
 * A semaphore of `initial`.
 *
 * With `max` 0 it counts, say, things that are there: anybody may release, whether it acquired or not, and a death changes nothing.
 * With `max` > 0 it is `max` permits: who acquires holds one, only who holds one can release it, and a dead holder's come back.
 * `initial` of them are free; the others this process holds.
 *
 * NULL with a sentence: SPORK_INVALID: initial > max, or more than 2^31 - 1; SPORK_NO_SPACE, SPORK_NO_MEMORY.
 */
SPORK_API spork_semaphore *spork_semaphore_new(unsigned initial, unsigned max);
/** Waits for one. SPORK_OK; SPORK_TIMEOUT: the sentence says who holds the permits; SPORK_NO_SPACE, SPORK_UNSUPPORTED as for locks. */
SPORK_API spork_status spork_semaphore_acquire(spork_semaphore *semaphore, int timeout_ms);
/** Gives one. SPORK_NOT_OWNER: of permits, this process holds none; SPORK_TOO_LARGE: the count is 2^31 - 1. */
SPORK_API spork_status spork_semaphore_release(spork_semaphore *semaphore);
/** How many are there at this moment. What dead processes hold may not have come back yet. */
SPORK_API unsigned spork_semaphore_value(const spork_semaphore *semaphore);
/** Lets go of it in this process; permits that this process holds come back with its last object of it. NULL is fine. */
SPORK_API void spork_semaphore_free(spork_semaphore *semaphore);

/* ---- event ---------------------------------------------------------------------------------------------------------- */

/** An event, not set. NULL with a sentence: SPORK_NO_SPACE, SPORK_NO_MEMORY. */
SPORK_API spork_event *spork_event_new(void);
/** Sets it: all who wait go on, also if it is cleared at once. POSIX: async-signal-safe, of an event that exists. */
SPORK_API spork_status spork_event_set(spork_event *event);
/** Who waits from now on waits for the next set. */
SPORK_API spork_status spork_event_clear(spork_event *event);
/** Whether it is set at this moment. */
SPORK_API bool spork_event_is_set(const spork_event *event);
/**
 * Waits until it is set. It can also be waited for together with other things: spork_on(event), wait.h; such a wait may miss an event that is
 * set and cleared at once.
 * @return SPORK_OK; SPORK_TIMEOUT.
 */
SPORK_API spork_status spork_event_wait(spork_event *event, int timeout_ms);
/** Lets go of it in this process. NULL is fine. */
SPORK_API void spork_event_free(spork_event *event);

/* ---- condition ------------------------------------------------------------------------------------------------------ */

/**
 * A condition with a lock of its own.
 *
 *     spork_condition_acquire(c, SPORK_FOREVER);
 *     while (!there_is_work(shared)) spork_condition_wait(c, SPORK_FOREVER);        // or spork_condition_wait_for
 *     ...
 *     spork_condition_release(c);
 */
SPORK_API spork_condition *spork_condition_new(void);
/** The same with options for its lock: `spork_condition_new_with(&options)`. */
#define spork_condition_new_with(options) spork__condition_new((options), sizeof *(options))
/** What spork_condition_new_with calls; `size` tells which options this program was compiled with. */
SPORK_API spork_condition *spork__condition_new(const spork_lock_options *options, size_t size);
/** Takes its lock; results as of spork_lock_acquire. */
SPORK_API spork_status spork_condition_acquire(spork_condition *condition, int timeout_ms);
/** Takes its lock after an owner's death; results as of spork_lock_recover. */
SPORK_API spork_status spork_condition_recover(spork_condition *condition, int timeout_ms);
/** Gives its lock up; results as of spork_lock_release. */
SPORK_API spork_status spork_condition_release(spork_condition *condition);

/**
 * Gives the lock up, waits to be notified, and takes the lock again, which may last beyond the timeout while others hold it.
 *
 * Other than pthread's it returns SPORK_OK only for a notification, with one rare exception: where a process that was notified dies
 * before it got to know, its notification goes to the next of those who waited then.
 *
 * @return SPORK_OK: notified, the lock is held; SPORK_TIMEOUT: not notified, the lock is held too; SPORK_OWNER_DIED: somebody died with the lock:
 *         it is not held, see spork_condition_recover (whether it was notified is lost: look at what is waited for); SPORK_NOT_OWNER: called
 *         without the lock; SPORK_NO_SPACE: 4 096 wait already, or no memory: the lock is still held.
 */
SPORK_API spork_status spork_condition_wait(spork_condition *condition, int timeout_ms);
/** Waits until `predicate(user)` says so, which is asked with the lock held, first at once. Results as spork_condition_wait. */
SPORK_API spork_status spork_condition_wait_for(spork_condition *condition, bool (*predicate)(void *user), void *user,
                                                int timeout_ms);
/**
 * Wakes `n` of the living who wait, those who have waited longest; all, if they are fewer. They go on when the lock is free.
 * SPORK_NOT_OWNER: called without the lock.
 */
SPORK_API spork_status spork_condition_notify(spork_condition *condition, unsigned n);
/** The same for all who wait. */
SPORK_API spork_status spork_condition_notify_all(spork_condition *condition);
/** Lets go of it in this process, as spork_lock_free. NULL is fine. */
SPORK_API void spork_condition_free(spork_condition *condition);

/* ---- barrier -------------------------------------------------------------------------------------------------------- */

/**
 * A barrier for `parties` threads, of whatever processes: each waits until all have arrived; then it can be used again.
 *
 * A process that was given the barrier, or has waited at it, is expected there (who only made it is not). If it ends (killed, crashed, or by simply returning)
 * without having freed it, the barrier is broken for whoever waits, or comes later: SPORK_BROKEN, naming it, until spork_barrier_reset.
 *
 * NULL with a sentence: SPORK_INVALID: no parties; SPORK_NO_SPACE, SPORK_NO_MEMORY.
 */
SPORK_API spork_barrier *spork_barrier_new(unsigned parties);
/**
 * Arrives, and waits for the others.
 * @param index  from 0 to parties - 1: a number that no other has in this round; in the order of arrival, unless somebody's wait has timed out.
 *        May be NULL.
 * @return SPORK_OK: all have arrived; SPORK_TIMEOUT: they have not, and this thread does not count as arrived; SPORK_BROKEN: somebody
 *         died, called spork_barrier_abort or _reset, or an action failed, as the sentence says.
 */
SPORK_API spork_status spork_barrier_wait(spork_barrier *barrier, unsigned *index, int timeout_ms);
/**
 * The same, with something to be done once when all have arrived, before any goes on: by the last, which runs its own `action(user)`. If that
 * does not return 0 the barrier is broken. When all have arrived nobody's wait times out any more: it lasts until the action has run.
 */
SPORK_API spork_status spork_barrier_wait_then(spork_barrier *barrier, int (*action)(void *user), void *user,
                                               unsigned *index, int timeout_ms);
/** Breaks it: for those who wait and those who come. */
SPORK_API spork_status spork_barrier_abort(spork_barrier *barrier);
/** Makes it as new: whoever waits gets SPORK_BROKEN; processes that have ended are expected no more. */
SPORK_API spork_status spork_barrier_reset(spork_barrier *barrier);
/** Whether a wait would end with SPORK_BROKEN at this moment. */
SPORK_API bool spork_barrier_broken(const spork_barrier *barrier);
/** How many it was made for. */
SPORK_API unsigned spork_barrier_parties(const spork_barrier *barrier);
/** How many have arrived in this round. */
SPORK_API unsigned spork_barrier_waiting(const spork_barrier *barrier);
/** Lets go of it: this process is not expected any more. NULL is fine. */
SPORK_API void spork_barrier_free(spork_barrier *barrier);

#ifdef __cplusplus
}
#endif
#endif
