/* A storm on starts: children are killed as soon as they are there, or hunted while they start, and the fork server with them. Each target
 * runs once if its start says so, and not at all if that says otherwise. */
#ifndef HARNESS_PROCESS_STORM_H
#define HARNESS_PROCESS_STORM_H

#include "harness.h"
#include "tally.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PROCESS_THREADS = 4 };

typedef struct process_plan {
    harness_budget deaths;
    bool hunted; /* by a thread that looks for children of this process, which start has not told of yet; Linux only */
    int threads; /* that start children, up to PROCESS_THREADS */
    unsigned seed;
} process_plan;

typedef struct process_result {
    int during, after, server; /* deaths: start told of it; it was found by join; of the fork server */
    int unknown;               /* ends that died with the server that was to tell of them */
    long starts;
    long faults[TALLY_FAULTS];
    char first[200];
} process_result;

bool process_can_hunt(void);
process_result process_storm(const process_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
