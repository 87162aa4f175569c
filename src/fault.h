/* Failing on purpose, dying on purpose, and being wrong on purpose. In builds without SPORK_FAULTS (what users get) each
 * question below is a constant and costs nothing.
 *
 * All allocation goes through alloc.c and all system calls through the platform's files; both ask spork__fault first. Code
 * that another process' death must not hurt names the points between its steps, spork__at(point): there a test lets a
 * process end as by a kill. And where a mistake would be easy and its effect rare, the mistake itself can be planted, to show
 * that the tests would find it. */
#ifndef SPORK_FAULT_H
#define SPORK_FAULT_H

#include <stdbool.h>

#include "spork_config.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum spork__fault_door { SPORK__FAULT_ALLOC, SPORK__FAULT_SYSTEM, SPORK__FAULT_DOORS } spork__fault_door;

/* The points, in the order of their modules; what a death there leaves behind is told at the top of each. */
typedef enum spork__point {
    SPORK__POINT_NONE,
    SPORK__AT_ROBUST_TAKEN,      /* without a sleep */
    SPORK__AT_ROBUST_RELEASING,  /* nothing released yet */
    SPORK__AT_ROBUST_RESERVED,   /* somebody starves, and has said so */
    SPORK__AT_ROBUST_ANNOUNCED,  /* about to sleep */
    SPORK__AT_ROBUST_WOKEN,      /* not taken yet */
    SPORK__AT_ROBUST_TAKEN_LATE, /* after a sleep */
    SPORK__AT_ROBUST_FOUND_DEAD, /* not taken over yet */
    SPORK__AT_ROBUST_TAKEN_OVER,
    SPORK__AT_ROBUST_RELEASED, /* nobody woken yet */
    SPORK__AT_BELL_ANNOUNCED,  /* about to look once more, then to sleep */
    SPORK__AT_BELL_WOKEN,
    SPORK__AT_BELL_CLAIMED, /* the sleepers' mark is gone, nobody is woken yet */
    SPORK__AT_ARENA_LOCKED,
    SPORK__AT_ARENA_WRITTEN, /* place and length of an extent, not yet its owner */
    SPORK__AT_ARENA_TAKEN,
    SPORK__AT_ARENA_FREEING,
    SPORK__AT_RING_PUT_LOCKED,
    SPORK__AT_RING_PUT_WRITTEN,   /* the message, the index not yet */
    SPORK__AT_RING_PUT_HANDED,    /* an extent is the ring's, which does not know of it yet */
    SPORK__AT_RING_PUT_COMMITTED, /* the lock still held */
    SPORK__AT_RING_PUT_UNLOCKED,  /* nobody woken yet */
    SPORK__AT_RING_GET_LOCKED,
    SPORK__AT_RING_GET_NOTED,     /* in hands, the index not yet moved */
    SPORK__AT_RING_GET_COMMITTED, /* an extent still the ring's */
    SPORK__AT_RING_GET_HANDED,    /* an extent is the receiver's, the lock still held */
    SPORK__AT_RING_GET_UNLOCKED,  /* nobody woken, an extent not yet read */
    SPORK__AT_QUEUE_CLOSING,      /* no put begins any more, but nobody is told of the end */
    SPORK__POINTS
} spork__point;

typedef enum spork__bug {
    SPORK__BUG_NONE,
    SPORK__BUG_ROBUST_NO_TAKE_OVER,     /* a dead owner's lock is never asked for */
    SPORK__BUG_ROBUST_TAKE_OVER_STORES, /* … is taken by a store: two may take it */
    SPORK__BUG_ROBUST_TELLS_NOBODY,     /* … is taken in silence */
    SPORK__BUG_ROBUST_DOUBTS,           /* a living owner is taken for dead */
    SPORK__BUG_ROBUST_SLEEPS_ON,        /* a sleep has no bound */
    SPORK__BUG_ROBUST_FREES_ANY,        /* a release does not look whose lock it is */
    SPORK__BUG_BELL_LOOKS_FIRST,        /* a sleeper looks before it announces itself, and sleeps without bound */
    SPORK__BUG_BELL_SILENT,             /* a ringer that takes the mark wakes nobody, and sleeps have no bound */
    SPORK__BUG_ARENA_OVERLAPS,          /* two may be given the same place */
    SPORK__BUG_ARENA_LEAKS,             /* the dead keep their extents */
    SPORK__BUG_ARENA_ROBS,              /* the living lose theirs in a sweep */
    SPORK__BUG_RING_COMMITS_FIRST,      /* the index moves before the bytes are there */
    SPORK__BUG_RING_FORGETS_EXTENTS,    /* a side that is taken over is not mended */
    SPORK__BUG_RING_READS_UNLOCKED,     /* receivers do not exclude each other */
    SPORK__BUGS
} spork__bug;

#if SPORK_FAULTS
/* Ends this process when one of its threads comes to that point for the n-th time. SPORK__POINT_NONE disarms. */
void spork__point_arm(spork__point point, long nth);
void spork__at(spork__point point);
/* Makes this process behave so, until it is told SPORK__BUG_NONE. */
void spork__plant(spork__bug bug);
bool spork__planted(spork__bug bug);
/* Lets the n-th call (from 1) through that door fail, for the calling thread; 0 lets all pass. `code` is what a failing
 * system call reports. `sticky`: all from the n-th on fail. */
void spork__fault_arm(spork__fault_door door, long nth, int code, bool sticky);
/* How many calls went through since it was armed. */
long spork__fault_count(spork__fault_door door);
/* Shall this call fail? */
bool spork__fault(spork__fault_door door);
int spork__fault_code(void);
#else
#define spork__fault(door) false
#define spork__fault_code() 0
#define spork__at(point) ((void)0)
#define spork__planted(bug) false
#endif

#ifdef __cplusplus
}
#endif
#endif
