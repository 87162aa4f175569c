/* A storm on the names of shared memory: processes make, fill, open and remove named blocks, of both lifetimes, and are killed while they
 * do. */
#ifndef HARNESS_SHM_STORM_H
#define HARNESS_SHM_STORM_H

#include "harness.h"
#include "tally.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SHM_PLACES = 8 };

typedef struct shm_plan {
    harness_budget deaths;
    int count;  /* of processes at a time, up to SHM_PLACES */
    int largest;
    unsigned seed;
} shm_plan;

typedef struct shm_result {
    int deaths;
    long made, opened; /* blocks */
    long faults[TALLY_FAULTS];
    char first[200];
} shm_result;

shm_result shm_storm(const shm_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
