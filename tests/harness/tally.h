/* What a storm counts, and the line of it that scripts/storm.sh asks for. */
#ifndef HARNESS_TALLY_H
#define HARNESS_TALLY_H

#include "fault.h"
#include "harness.h"

#ifndef __cplusplus
#include <stdatomic.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What must not be. */
typedef enum tally_fault {
    TALLY_TORN,       /* something was seen that is half of one thing, or of two */
    TALLY_DUPLICATED, /* something came, or ran, twice */
    TALLY_HUNG,       /* somebody did not get on within its time */
    TALLY_LEAKED,     /* something of the dead, or of this process, stayed */
    TALLY_WRONG,      /* anything else: another status than documented, a message that is missing */
    TALLY_FAULTS
} tally_fault;

#ifndef __cplusplus
/* Those of several processes, in memory that they share. */
typedef struct tally_ledger {
    _Atomic long counts[TALLY_FAULTS], total;
    char first[200]; /* what the first of them was */
} tally_ledger;

void tally_fault_add(tally_ledger *ledger, tally_fault fault, const char *format, ...);
/* A call ended with a status that it may not have; the thread's error tells of it. A timeout is a hang. */
void tally_status(tally_ledger *ledger, spork_status status);
#endif

typedef struct tally {
    const char *primitive;
    char plan[160]; /* its sizes, in words */
    unsigned seed;
    long kills;
    long at[SPORK__POINTS];     /* of these; [0]: from outside, anywhere */
    long starting, server;      /* the same: in its start, as that told; the fork server */
    long messages, tasks, uses; /* what was done; uses: of locks and their kin, of blocks, and starts */
    long lost;                  /* messages and tasks, with the killed */
    long faults[TALLY_FAULTS];
    char first[200];
} tally;

const char *tally_point_name(int point);

/* What this process holds. */
typedef struct tally_books {
    long blocks;
    int descriptors, mappings;
} tally_books;
tally_books tally_open_books(void);
/* Waits until all is as it was then, and nobody dead is unburied; what does not go is a leak. */
void tally_close_books(const tally_books *books, tally *to);

long tally_total(const tally *of);
/* Prints it, and appends it as a line of JSON to the file that SPORK_STORM_REPORT names, if any. */
void tally_report(const tally *of);

#ifdef __cplusplus
}
#endif
#endif
