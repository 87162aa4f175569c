/* The front of a pool: futures, order, callbacks, retries, deadlines, and the policy by which workers are replaced.
 *
 * Two locks. Whoever gives a task holds `give` for a moment; whoever takes what workers have done holds `take` (and may then take `give`). Those who
 * wait for a result take, all of them and for all others: so a result costs its waiter one wake-up and no other thread any. The pool's
 * own thread, the keeper, takes only when nobody waits and somebody would miss it: callbacks, timeouts, waits by handles, and
 * workers that have no room left for what they have done. And it alone looks after workers that end. */
#ifndef SPORK_POOL_FRONT_H
#define SPORK_POOL_FRONT_H

#include <spork/pool.h>

#include "../deadline.h"
#include "../robust.h"
#include "../waitable.h"
#include "executor.h"

#ifndef __cplusplus

#include <stdatomic.h>

typedef struct spork__latch {
    spork__robust word;
    spork_native berth;
} spork__latch;

typedef enum spork__standing {
    SPORK__POOL_OPEN,
    SPORK__POOL_CLOSED,    /* what was given is done */
    SPORK__POOL_BROKEN,    /* no worker can be started any more */
    SPORK__POOL_TERMINATED /* nothing is done any more */
} spork__standing;

/* Why a job is stopped, and how far that has come. Of one worker's. */
typedef struct spork__stopping {
    spork__job *job; /* NULL: nothing is */
    uint64_t item, next;
    spork__stop how; /* what comes next */
} spork__stopping;

typedef enum spork__seat { SPORK__SEAT_EMPTY, SPORK__SEAT_STARTING, SPORK__SEAT_UP } spork__seat;

/* A worker's place, as the front sees it. */
typedef struct spork__chair {
    spork__seat seat;
    bool ever; /* somebody has been up in it: the next one is a replacement */
    uint64_t begun;
    spork__stopping stopping;
} spork__chair;

/* A job and what is to become of it. */
typedef struct spork__errand {
    spork__job job;
    bool is_helper; /* of a map: no future's */
    bool given;     /* the executor has it; else it is outside */
    spork_status verdict; /* how it shall end, whatever it still says: SPORK_CANCELLED, SPORK_DEADLINE, SPORK_CLOSED; SPORK_OK: as it says */
    struct spork__errand *next; /* of those outside */
} spork__errand;

struct spork_pool {
    uint32_t magic, owner; /* owner: the participant */
    char name[32];
    unsigned workers, retries;
    int task_timeout_ms;
    size_t max_pending;
    bool manual, threads, tasks_end_workers;
    spork__executor *executor;
    spork__latch give, take;

    _Atomic int standing;
    _Atomic uint32_t references; /* the user's, the keeper's, and each future's */
    char *reason;                /* why it is broken */

    /* under `give` */
    spork__errand *outside, **outside_end; /* those for which the executor had no room, in order */
    uint64_t number;                       /* of the last task */
    _Atomic size_t outside_count;
    spork_future *spare; /* futures that can be used again */

    /* under `take` */
    bool news; /* something has ended, and those who wait were not told */
    spork__chair *chairs;
    unsigned failures;      /* starts that failed, in a row */
    uint64_t start_after;   /* not before this time */
    bool ending, finishing; /* the executor was told */
    bool disbanded;         /* there are no workers any more, nor will be */
    uint64_t kill_at;       /* who has not ended by then; 0: nobody is to */
    uint64_t end_at;        /* it is terminated then; 0: never */
    bool at_once;           /* workers are killed without being asked before */
    spork_future *due, **due_end; /* ended, their callbacks have not run */
    _Atomic size_t due_count;

    _Atomic uint64_t submitted, completed, failed, crashed, retried, replaced, pending, up, seats; /* seats: that are not empty */
    _Atomic uint64_t unseen; /* failures that nobody can look at any more */
    _Atomic uint32_t told_first;
    char first[256]; /* what the first of them was */

    /* who waits, and who listens */
    _Atomic uint32_t takers;    /* threads that wait, and take */
    _Atomic(spork_future *) returned; /* the same, from who let go of them */
    _Atomic uint32_t spares;
    _Atomic uint32_t audience;  /* tasks with callbacks: somebody has to listen */
    _Atomic uint32_t timed;     /* tasks with timeouts, maps of such items: somebody has to look at clocks, */
    _Atomic int shortest_ms;    /* the shorter the shortest of their timeouts has been, the more often */
    _Atomic bool listens;       /* the keeper does */
    spork__chime call;          /* wakes the keeper */
    spork__chime due_flag;      /* ready as long as callbacks are due, or none will come any more */
    spork__bell settled;        /* in our own memory: for waits by handles */
    spork__ear settled_ear;
    spork__os_thread keeper;
    _Atomic bool sleeps;        /* the keeper does, and can be called */
    _Atomic bool down;          /* all is over: the keeper has ended, or is about to */
    _Atomic uint64_t calling;   /* callbacks that run */
    _Atomic bool joined;        /* its thread */
    bool free_at_end;           /* spork_pool_free in a callback */
    bool at_exit;               /* the process ends: callbacks that nobody runs are forgotten */
    struct spork_pool *next_open, *previous_open;
};

enum { SPORK__FUTURE_LIVE, SPORK__FUTURE_ENDED };

struct spork_future {
    spork__errand errand; /* first */
    spork_pool *pool;
    _Atomic int state;
    _Atomic int references; /* the pool's, the user's */
    bool wanted;            /* the user has it */
    _Atomic bool looked;
    spork_status status;
    uint64_t number;
    unsigned retries;
    void *args; /* encoded, while it is outside */
    void (*done)(const spork_future *future, void *user);
    void *user;
    spork_death *death; /* of one that did not end well */
    char *text;
    struct spork_imap *imap;
    spork_future *next; /* due, or of an imap's those that have ended, or spare */
    spork__result result; /* last */
};

/* ---- pool.c ---- */
spork_status spork__pool_check(const spork_pool *pool, const char *call);
/* Whether more may be given: SPORK_CLOSED, SPORK_BROKEN with the reason. */
spork_status spork__pool_is_open(const spork_pool *pool);
void spork__latch_take(spork__latch *lock);
void spork__latch_give(spork__latch *lock);
void spork__pool_hold(spork_pool *pool);
void spork__pool_let_go(spork_pool *pool);
/* The pool's own thread, if it is asleep, looks up. */
void spork__pool_call_keeper(spork_pool *pool);
/* Somebody has come, or gone, for whom results have to be taken while nobody waits. */
void spork__pool_attend(spork_pool *pool, int change);
/* A task with a timeout has come, or ended (0). */
void spork__pool_time(spork_pool *pool, int timeout_ms);
/* To a later standing, never back. */
void spork__pool_stand(spork_pool *pool, spork__standing standing);
/* This thread begins to wait, and takes for others; or goes. */
void spork__pool_come(spork_pool *pool);
void spork__pool_leave(spork_pool *pool);
/* A callback of this pool's begins on this thread; or has returned. */
void spork__pool_enter_callback(spork_pool *pool);
void spork__pool_leave_callback(void);
/* Sets the flag by which a loop of the user's knows what is due; under `take`. */
void spork__pool_flag_due(spork_pool *pool);
/* Something has ended: whoever waits looks. */
void spork__pool_tell(spork_pool *pool);
/* Waits until `ready` says so, and takes meanwhile. false: the time is over. */
bool spork__pool_wait(spork_pool *pool, bool (*ready)(void *user), void *user, spork__deadline *deadline);

/* ---- give.c: tasks on their way in ---- */
/* To the executor, or outside in order; under `give`, which it may let go of and take again. */
spork_status spork__errand_give(spork_pool *pool, spork__errand *errand);
/* Once more, after its worker's death; under `take`. */
void spork__errand_give_again(spork_pool *pool, spork__errand *errand);
/* Some of those outside to the executor, as far as there is room; under `take`. One that cannot be given, and why; NULL. */
spork__errand *spork__errands_move(spork_pool *pool, spork_status *why);
/* Takes one that is outside away; false: it is not. */
bool spork__errand_take_back(spork_pool *pool, spork__errand *errand);
/* The first of them; NULL: there is none. */
spork__errand *spork__errands_empty(spork_pool *pool);

/* ---- take.c: what became of them ---- */
/* Takes all that is there. `look`: at workers, too. */
void spork__pool_take(spork_pool *pool, bool look);
/* Under `take`. When something has to be done without an event; UINT64_MAX: never. */
uint64_t spork__pool_next_time(const spork_pool *pool);
/* Ends a job that has not begun; false: it has. Under `take`. */
bool spork__errand_keep_back(spork_pool *pool, spork__errand *errand, spork_status verdict);
/* Stops a job that runs, or keeps it from running; under `take`. */
void spork__errand_stop(spork_pool *pool, spork__errand *errand, spork_status verdict);

/* ---- future.c ---- */
spork_status spork__pool_give(spork_pool *pool, spork_task_fn fn, const spork_args *args,
                              const spork_task_options *options, struct spork_imap *imap, spork_future **future);
/* Ends it; under `take`. `text`: why not well, allocated, becomes its own; NULL. */
void spork__future_end(spork_future *future, spork_status status, char *text, const spork__event *event);
static inline spork_future *spork__future_of(spork__errand *errand) { return (spork_future *)errand; }
void spork__future_let_go(spork_future *future);
/* Those that are kept for later. */
void spork__futures_free(spork_pool *pool);
extern const spork__waitable spork__future_waitable, spork__pool_waitable;
/* Runs the callbacks that are due on this thread; how many. */
size_t spork__callbacks_run(spork_pool *pool);

/* ---- map.c ---- */
/* An event of a helper's; under `take`. */
void spork__map_helper_ended(spork__errand *errand, const spork__event *event);
spork__result *spork__map_result(spork__errand *errand);

/* ---- imap.c ---- */
/* One of its futures has ended; under `take`. */
void spork__imap_ended(struct spork_imap *imap, spork_future *future);

#endif
#endif
