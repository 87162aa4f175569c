/* Failing on purpose, dying on purpose, and being wrong on purpose. In builds without SPORK_FAULTS (what users get) each
 * question below is a constant and costs nothing.
 *
 * All allocation goes through alloc.c and all system calls through the platform's files; both ask here first. A system call is
 * known by its text: its kind is the name before the parenthesis, so that a test can fail the n-th of one kind, with the errors that
 * its manual names, and can ask which kinds there are. Code
 * that another process' death must not hurt names the points between its steps, spork__at(point): there a test lets a
 * process end as by a kill. And where a mistake would be easy and its effect rare, the mistake itself can be planted, to show
 * that the tests would find it. */
#ifndef SPORK_FAULT_H
#define SPORK_FAULT_H

#include <stdbool.h>
#include <stddef.h>

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
    SPORK__AT_ARENA_TRIMMED, /* all are told, the memory is still there */
    SPORK__AT_SEGMENT_ENTERED, /* behind a place that the index has not reached */
    SPORK__AT_SEGMENT_BACKED,  /* memory that is not yet counted */
    SPORK__AT_SEGMENT_TRIMMED, /* counted less than there still is */
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
    SPORK__AT_RING_TIME_OVER,     /* nothing there in time, not yet asked whether there ever will be */
    SPORK__AT_QUEUE_EMPTY,        /* a joiner has seen that, and not yet what is in hands */
    SPORK__AT_QUEUE_CLOSING,      /* no put begins any more, but nobody is told of the end */
    SPORK__AT_MUTEX_TORN,         /* taken over from a dead user, the others are told, not yet ours */
    SPORK__AT_MUTEX_WHOLE,        /* about to be released, the holder still noted */
    SPORK__AT_SEMAPHORE_NOTED,    /* a permit noted as ours, the number of free ones not yet changed */
    SPORK__AT_SEMAPHORE_RETURNED, /* no more ours, not yet free */
    SPORK__AT_SEMAPHORE_FREED,    /* free, nobody woken yet */
    SPORK__AT_EVENT_SET,          /* nobody woken yet */
    SPORK__AT_CONDITION_ENTERED,  /* among those who wait, the lock still held */
    SPORK__AT_CONDITION_TOLD,     /* one marked, not yet woken */
    SPORK__AT_CONDITION_WOKEN,    /* told, not yet gone from those who wait */
    SPORK__AT_CONDITION_PASSED,   /* a dead one's notification was passed on, and is still the dead one's too */
    SPORK__AT_BARRIER_ARRIVED,    /* noted, the lock still held */
    SPORK__AT_BARRIER_PASSED,     /* the next round has begun, nobody woken yet */
    SPORK__AT_BARRIER_ACTING,     /* all have arrived, the action has not run */
    SPORK__AT_START_TIME_OVER,    /* the child has not taken over, and is not yet killed for it */
    SPORK__AT_KEEPER_AWAKE,       /* it was called, and does not know yet what for */
    SPORK__AT_TASK_NOTED,         /* in the worker's place, nothing has happened yet */
    SPORK__AT_TASK_TAKEN,         /* the head not yet moved */
    SPORK__AT_TASK_DOOMED,        /* the owner's: perhaps to be taken back */
    SPORK__AT_TASK_RETURNED,      /* its function has, and nobody knows */
    SPORK__AT_TASK_FINISHING,     /* nothing of the result is written */
    SPORK__AT_TASK_RESULT,        /* written, extents on their way, not yet done */
    SPORK__AT_TASK_DONE,          /* not yet among what is done */
    SPORK__AT_TASK_ENTERED,       /* nobody told yet */
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
    SPORK__BUG_BELL_UNBOUNDED,          /* no mistake: sleeps have no bound: a lost wake-up is seen */
    SPORK__BUG_ARENA_OVERLAPS,          /* two may be given the same place */
    SPORK__BUG_ARENA_LEAKS,             /* the dead keep their extents */
    SPORK__BUG_ARENA_ROBS,              /* the living lose theirs in a sweep */
    SPORK__BUG_RING_COMMITS_FIRST,      /* the index moves before the bytes are there */
    SPORK__BUG_RING_FORGETS_EXTENTS,    /* a side that is taken over is not mended */
    SPORK__BUG_RING_READS_UNLOCKED,     /* receivers do not exclude each other */
    SPORK__BUG_RING_TURN_UNTAKEN,       /* who has waited for a lock believes that it has it */
    SPORK__BUG_SEGMENT_SHARED,          /* one is entered that is still read from */
    SPORK__BUG_MUTEX_WHOLE,             /* a user's death with the lock is told to nobody */
    SPORK__BUG_SEMAPHORE_KEEPS,         /* the permits of the dead do not come back */
    SPORK__BUG_SEMAPHORE_NO_RECOUNT,    /* a number of free permits that a death left wrong stays so */
    SPORK__BUG_CONDITION_LOSES,         /* a notification dies with who has got it */
    SPORK__BUG_BARRIER_WAITS_ON,        /* nobody looks whether the expected live */
    SPORK__BUG_BARRIER_COUNTS_DEAD,     /* nor whether those who have arrived do */
    SPORK__BUG_KEEPER_DAWDLES,          /* no mistake: a pool's keeper is slow to fall asleep, so that all it could miss comes then */
    SPORK__BUGS
} spork__bug;

#if SPORK_FAULTS
/* Ends this process when one of its threads comes to that point for the n-th time. SPORK__POINT_NONE disarms. */
void spork__point_arm(spork__point point, long nth);
/* Stops it there instead, until somebody lets it go on. */
void spork__point_arm_stop(spork__point point, long nth);
/* Holds that one thread there instead, until it is released; whether it is there. */
void spork__point_arm_hold(spork__point point, long nth);
bool spork__point_held(void);
void spork__point_release(void);
void spork__at(spork__point point);
/* Makes this process behave so, until it is told SPORK__BUG_NONE. */
void spork__plant(spork__bug bug);
bool spork__planted(spork__bug bug);
/* Lets the n-th call (from 1) through that door fail, for the calling thread; 0 lets all pass. `code` is what a failing
 * system call reports. `sticky`: all from the n-th on fail. */
void spork__fault_arm(spork__fault_door door, long nth, int code, bool sticky);
/* How many calls went through since it was armed. */
long spork__fault_count(spork__fault_door door);
/* The same for the calls of one kind, "read"; in every thread of this process if `everywhere`. NULL disarms. */
void spork__fault_arm_kind(const char *kind, long nth, int code, bool everywhere);
long spork__fault_kind_count(void);
/* Makes every transfer a short one, and every second one a try that a signal interrupted, in the whole process. */
void spork__fault_disturb(bool on);
/* Which kinds were called since the process began, or since they were forgotten, by any thread: writes as many as there is room for, returns
 * how many there are. */
enum { SPORK__FAULT_KIND = 32 };
void spork__fault_forget_kinds(void);
size_t spork__fault_kinds(char (*kinds)[SPORK__FAULT_KIND], size_t room);
/* Shall this call fail? */
bool spork__fault(spork__fault_door door);
bool spork__fault_call(const char *call);
int spork__fault_code(void); /* as what: of the call that failed last */
/* How much of a transfer is asked for. */
size_t spork__fault_size(size_t size);
#else
#define spork__fault(door) false
#define spork__fault_call(call) false
#define spork__fault_code() 0
#define spork__fault_size(size) (size)
#define spork__at(point) ((void)0)
#define spork__planted(bug) false
#endif

#ifdef __cplusplus
}
#endif
#endif
