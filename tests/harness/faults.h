/* Starts in which something fails on purpose, for fault_test.cpp. */
#ifndef SPORK_HARNESS_FAULTS_H
#define SPORK_HARNESS_FAULTS_H

#include "fault.h"
#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One start with objects, in which the n-th call through a door fails. */
typedef struct faults_plan {
    spork_start_method method;
    bool limits; /* under fork and forkserver the child then acknowledges */
    size_t bulk; /* bytes of a further argument */
    spork__fault_door door;
    long nth;
    int code;
} faults_plan;

typedef struct faults_result {
    long count;          /* calls through the door, in the parent */
    bool made, started;
    spork_status status; /* of new or start */
    char sentence[1024];
    spork_status second; /* after a failed start: of starting the same process again, without a fault */
    bool joined;
    int exitcode;
    int runs;            /* how often the target ran, by what it wrote */
    bool met_in_child;   /* fork only: the child inherited the fault, met it, and ran all the same */
} faults_result;

/* The target's exit codes. */
enum { FAULTS_FINE = 7, FAULTS_NO_ARGUMENTS = 8, FAULTS_NO_STREAM = 9 };

/* Makes, starts, joins and frees a process as planned; if the start fails, starts it again. */
faults_result faults_start(const faults_plan *plan);

/* What must be the same afterwards. */
typedef struct faults_books {
    long allocated;
    int descriptors, mappings, zombies, ends;
} faults_books;
faults_books faults_now(void);

/* Such a start in a program that has started nothing before, so that what is made once is made under the fault; then one
 * without. `argument`: "METHOD,LIMITS,BULK,DOOR,NTH,CODE" as numbers. Prints a line for each. */
int faults_cold(const char *argument);

#ifdef __cplusplus
}
#endif
#endif
