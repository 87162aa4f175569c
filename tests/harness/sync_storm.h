/* A storm on lock, permits, event, condition and barrier: processes that use them die, killed at any moment or at a chosen point of the code, and are
 * replaced. */
#ifndef HARNESS_SYNC_STORM_H
#define HARNESS_SYNC_STORM_H

#include "fault.h"
#include "harness.h"
#include "tally.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a process does there, again and again. */
typedef enum sync_role {
    SYNC_LOCKER,   /* takes the lock, then a permit */
    SYNC_CONSUMER, /* waits for an item, by the condition */
    SYNC_PARTY,    /* comes to the barrier */
    SYNC_LOCK,     /* takes the lock */
    SYNC_PERMIT,   /* takes a permit */
    SYNC_EVENT     /* sets and clears the event, or waits for it, by turns of places */
} sync_role;
enum { SYNC_PERMITS = 2, SYNC_MOST = 12 };

typedef struct sync_plan {
    harness_budget deaths;
    int count;  /* of processes with that role; 0: three of each of the first three */
    sync_role role;
    spork__point first, last; /* SPORK__POINT_NONE: killed from outside; else they die at these points in turn */
    spork__bug bug;           /* planted in all of them */
    int patience_ms;          /* for how long a process may not get on */
    unsigned seed;
} sync_plan;

typedef struct sync_result {
    int deaths, at[SPORK__POINTS];
    long locked, recovered, permits, items, met, broken, woken; /* what was done */
    unsigned free_permits;                                      /* of SYNC_PERMITS, at the end */
    long violations, faults[TALLY_FAULTS];                      /* all, and of each kind */
    char first[200];                                            /* what the first of them was */
} sync_result;

sync_result sync_storm(const sync_plan *plan);

/* Owners of one lock die in their critical section while `waiters` wait: how many died, and how often one that waited got on, and had
 * to repair; false: somebody did not get on. */
bool sync_owners_die(harness_budget deaths, int waiters, long *died, long *repaired);

int target_meet(const spork_args *args); /* barrier, waits there: else only has it, for ever */
/* Whether another process is expected at a barrier. */
bool sync_is_expected(const spork_barrier *barrier);

#ifdef __cplusplus
}
#endif
#endif
