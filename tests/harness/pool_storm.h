/* A storm on a pool: workers die again and again, in several ways, while tasks, maps and imaps are given; each task has to end once, right
 * or named. */
#ifndef HARNESS_POOL_STORM_H
#define HARNESS_POOL_STORM_H

#include "fault.h"
#include "harness.h"
#include "tally.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { STORM_WORKERS = 4, STORM_MOST = 8, STORM_TASKS = 200 };

typedef struct pool_plan {
    harness_budget kills;
    unsigned retries;   /* of the pool */
    unsigned per_child; /* max_tasks_per_child */
    int timeout_ms;     /* of a task; with it workers are stopped, too (POSIX) */
    bool points;        /* they die at the points of fault.h that a task passes, each in turn, instead of anywhere */
    unsigned seed;
    unsigned workers; /* 0: STORM_WORKERS */
    int pace_ms;      /* between two kills, at most; 0: 25 */
} pool_plan;

typedef struct pool_result {
    int kills, rounds;
    int at[SPORK__POINTS];      /* of these, how many were told to die there */
    int died_at[SPORK__POINTS]; /* of those, who did, as far as was seen */
    long right, crashed, late;  /* how tasks and items ended */
    spork_pool_counters counters;
    unsigned together;                     /* workers that met at the end */
    long violations, faults[TALLY_FAULTS]; /* all, and of each kind */
    char first[400];                       /* what the first of them was */
} pool_result;

pool_result pool_storm(const pool_plan *plan);

/* Pools that are ended at a random moment, in a random way, while their workers die. */
pool_result pool_storm_of_ends(harness_budget pools, unsigned seed);

#ifdef __cplusplus
}
#endif
#endif
