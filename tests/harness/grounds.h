/* Storms on the ground that everything shared stands on: robust lock, bell, arena. Processes work on one block of shared memory, check
 * each other's work, and die: at a chosen point of the code, or killed from outside at any moment. */
#ifndef HARNESS_GROUNDS_H
#define HARNESS_GROUNDS_H

#include "fault.h"
#include "harness.h"
#include "tally.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ground_kind { GROUND_ROBUST, GROUND_BELL, GROUND_ARENA } ground_kind;

typedef struct ground_plan {
    ground_kind kind;
    int workers;
    harness_budget deaths;
    spork__point first, last; /* SPORK__POINT_NONE: killed from outside; else they die at these points in turn */
    spork__bug bug;           /* planted in all of them */
    int patience_ms;          /* for how long a process may not get on */
    unsigned seed;
} ground_plan;

typedef struct ground_result {
    bool stuck;                            /* somebody did not get on for that long */
    bool left_over;                        /* at the end the lock could not be had, or extents of the dead stayed */
    int deaths;                            /* as told by exit codes */
    int at[SPORK__POINTS];                 /* of those, at each point */
    long work;                             /* what was done, in all */
    long owner_died;                       /* how often a lock's new owner was told */
    long violations, faults[TALLY_FAULTS]; /* all, and of each kind, with the above */
    char first[200];                       /* what the first of them was */
    double longest_pause;
} ground_result;

ground_result ground_storm(const ground_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
