/* What sync_test.cpp runs in other processes. Their values are in the comments. */
#ifndef SPORK_HARNESS_SYNCS_H
#define SPORK_HARNESS_SYNCS_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- plain memory of several processes ---- */

enum { SYNCS_PARTIES = 16 };
typedef struct syncs_board {
    volatile long counter;              /* plain: only a lock keeps it right */
    long inside, most;                  /* atomic: how many hold something now, and held at most */
    volatile long turns[SYNCS_PARTIES]; /* plain: the round of each party */
    volatile long actions;              /* plain: how many actions were run */
    long taken[SYNCS_PARTIES];          /* atomic: the last round in which this index was given */
} syncs_board;

/* NULL if there is none. The end is given as harness_give(end). */
harness_end *syncs_board_new(void);
syncs_board *syncs_board_map(harness_end *end);
void syncs_board_unmap(syncs_board *board);

/* ---- a process that is told what to do ---- */

/* an object, hear (reader), say (writer): runs each line that it hears and says one line for it: the status' name,
 * numbers, and "|" with the sentence if there is one; ends with 0 at the end of what it hears. Without MS it waits
 * for 9 s.
 *
 *   acquire [MS]    recover [MS]    release [TIMES]    locked: 0 or 1
 *   get [MS]: acquires as sync.h says, with a recover where one is needed; says how often it repaired
 *   wait [MS]: of a barrier says the index     waitdie [MS]: is killed once wait has returned
 *   notify N        notifyall       waitfor N [MS]: the predicate says yes when asked for the N-th time; says how often
 *   set    clear    is: 0 or 1      pulse      value
 *   then CODE [MS]: an action that returns CODE; says the index and how often it ran
 *   stuck: an action that says so, and never ends
 *   abort  reset    broken          waiting    parties
 *   free   return CODE   exit CODE  die
 *   thread COMMAND: in a thread that ends then
 *   delegate: a child of its own does the rest
 */
int syncs_act(const spork_args *args);
/* connection, hear, say: the same, with an object that comes as a message. */
int syncs_act_received(const spork_args *args);

/* ---- many rounds ---- */

/* lock (lock, rlock or condition), board, rounds: adds 1 to the counter so often. */
int syncs_count(const spork_args *args);
/* semaphore, board, rounds: counts who is inside. */
int syncs_enter(const spork_args *args);
int syncs_enter_here(spork_semaphore *semaphore, syncs_board *board, int rounds);
/* barrier, board, who, parties, rounds: in lockstep with the others. */
int syncs_march(const spork_args *args);
int syncs_march_here(spork_barrier *barrier, syncs_board *board, int who, int parties, int rounds);

/* ---- others ---- */

/* Addresses of lock, rlock, semaphore, event, condition and barrier: uses them, which it was not given;
 * 0 if all is refused. */
int syncs_starve_and_die(const spork_args *args); /* lock: waits for it, and dies when it has waited for long */
int syncs_not_shared(const spork_args *args);
/* event: a signal's handler sets it while the same thread sets, clears and waits; 0 if it survives. POSIX. */
int syncs_signals(const spork_args *args);
int syncs_two_at_once(const spork_args *args); /* lock twice: takes it by one, releases it by the other */

#ifdef __cplusplus
}
#endif
#endif
