/* A storm on a queue: producers and consumers die, killed at any moment or at a chosen point of the
 * code, and are replaced; they may also be stopped, cancelled, end by themselves, or stay zombies.
 * Every message is accounted for in a ledger that they share. */
#ifndef HARNESS_QUEUE_STORM_H
#define HARNESS_QUEUE_STORM_H

#include "fault.h"
#include "harness.h"
#include "tally.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What befalls them beside their deaths, where the system can do that. */
enum {
    QUEUE_STOPS = 1,   /* they are stopped and continued at any moment; POSIX */
    QUEUE_CANCELS = 2, /* their threads are cancelled, and begun anew; POSIX */
    QUEUE_EXITS = 4,   /* they end by exit() and _Exit(), with a thread inside */
    QUEUE_ZOMBIES = 8  /* nobody asks for their exit codes before the end; POSIX */
};
unsigned queue_troubles_here(void); /* those that there are on this system */

typedef struct queue_plan {
    int producers, consumers;
    harness_budget deaths;    /* those at the points, where there are points */
    spork__point first, last; /* SPORK__POINT_NONE: killed from outside; else they die at these points in turn */
    spork__bug bug;           /* planted in all of them */
    unsigned seed;
    unsigned most; /* messages in the queue; 0: as many as it has room for */
    size_t
        capacity;  /* 0: 2 MiB. More than 4 MiB has several segments, and what is put fills them */
    unsigned troubles; /* of QUEUE_STOPS … */
} queue_plan;

typedef struct queue_result {
    int deaths, consumer_deaths, stops, exits, zombies;
    long cancels;
    bool foreign; /* they were another's children, who would not leave them zombies */
    int at[SPORK__POINTS];
    long put, got;                         /* messages that a put accepted; that a consumer has written down */
    long missing;                          /* accepted, but nobody wrote them down */
    unsigned lost;                         /* as the queue told */
    unsigned left, extents;                /* in the queue at the end */
    long violations, faults[TALLY_FAULTS]; /* all, and of each kind */
    char first[200];                       /* what the first of them was */
    double longest;                        /* seconds by which a call outlasted its timeout */
} queue_result;

queue_result queue_storm(const queue_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
