/* What shm_test.cpp runs in other processes. Their values are in the comments. */
#ifndef SPORK_HARNESS_SHMS_H
#define SPORK_HARNESS_SHMS_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- processes that are told what to do ---- */

/* Each runs the lines that it hears and says one line for each: the status' name, numbers, and "|" with the sentence if
 * there is one. Blocks lie in slots from 0 to 9.
 *
 *   new SLOT SIZE     create SLOT NAME SIZE creator|manual     open SLOT NAME     remove NAME     free SLOT
 *   size SLOT         data SLOT: says address & 4095           fill SLOT SEED     sum SLOT
 *   poke SLOT PLACE VALUE     peek SLOT PLACE
 *   send SLOT, move SLOT, recv SLOT: over the connection
 *   start SLOT: a child of its own, which gets that block (or none, if SLOT is -1), outlives it and sleeps; says its
 *                     pid when it runs
 *   fork: a plain one, which sleeps; says its pid when it runs (POSIX)
 *   pose NAME UID: this user's block of that name now looks as if it were that user's (Linux)
 *   race SLOT ROLE ROUNDS NAME: see shms.c; the block in SLOT is where the programs meet
 *   alarm SECONDS: is killed then (POSIX)     exit
 */
int shms_act(const spork_args *args); /* hear (reader), say (writer), and possibly a block (slot 0), and a connection */
int shms_scenario_act(const char *argument); /* the same from stdin to stdout; "nobody": as that user */

/* This test program as another one that hears what is told here; the argument is shms_scenario_act's. Its answers are
 * the lines of `program`. */
typedef struct shms_program {
    harness_program *program;
    spork_native to;
} shms_program;
shms_program *shms_run(const char *argument);
bool shms_tell(shms_program *program, const char *line);
void shms_free(shms_program *program); /* kills it if need be */

/* ---- targets ---- */

int shms_two(const spork_args *args);        /* a block twice: 0 if both are the same memory */
int shms_relay(const spork_args *args);      /* block, depth: sets byte [depth] and lets a child do the rest */
int shms_count(const spork_args *args);      /* block, n: adds 1 n times to the atomic in it */
int shms_not_shared(const spork_args *args); /* address, of a block that was not given; 0 if it is refused */
int shms_hold(const spork_args *args);       /* writer, a block or 0: writes a byte and sleeps for a minute */
int shms_fill(const spork_args *args);       /* block, seed: fills it; 0 */
int shms_mappings(const spork_args *args);   /* size: the number of shared mappings of about that size (Linux) */
int shms_memory(const spork_args *args);     /* block, writer: fills it with 7, then says its share of memory in KiB */
/* A process' share of the memory that it uses with others, in KiB; 0 where the system does not tell. */
long shms_share_kib(void);

/* Blocks are made and freed by name until somebody kills it. */
int shms_storm(
    const spork_args *args); /* notes, a name for SPORK_CREATOR (3 000 bytes), one for SPORK_MANUAL (7 000) */
int shms_come_and_go(
    const spork_args *args); /* notes, a name: a SPORK_MANUAL one (7 000), made and removed without end */
int shms_storm_rounds(const spork_shm *notes);
const char *shms_storm_wrong(const spork_shm *notes); /* "" */

/* ---- programs ---- */

int shms_scenario_small(const char *mode);  /* small, read-only, absent, full: what /dev/shm is there */
int shms_scenario_limit(const char *which); /* file-size, files, addresses */

#ifdef __cplusplus
}
#endif
#endif
