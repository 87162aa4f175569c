/* What runs the tasks of a pool. The front (pool.c and its neighbours) holds futures, order, callbacks, retries, deadlines and the policy of
 * replacement; an executor carries jobs to workers and tells what became of them, by events that the front takes one after another. Workers of this machine
 * share memory with it (local.c), but nothing here asks for that: a job goes out as values, and comes back as bytes.
 *
 * The front calls an executor from several threads: `submit` and `again` under the lock of those who give, everything else under the lock of
 * those who take, unless it says otherwise; `decode` and `forget` under none. */
#ifndef SPORK_POOL_EXECUTOR_H
#define SPORK_POOL_EXECUTOR_H

#include <spork/pool.h>

#include "../bell.h"
#include "../platform.h"
#include "../value.h"

#ifndef __cplusplus

/* Items that are mapped: made by the executor of a description, known to workers, dropped by the front. */
typedef struct spork__run_plan {
    spork_item_fn fn;
    const void *in;
    size_t in_size, out_size, count, chunk;
    const void *context;
    size_t context_size;
    int timeout_ms; /* of each item; 0: none */
} spork__run_plan;
typedef struct spork__run {
    spork__run_plan plan;
    uint32_t place; /* the executor's */
    /* What came of each item: pending, done, failed or stopped (crew.h); may be read while workers write it. And the results of those that are done. */
    const _Atomic unsigned char *marks;
    const void *out;
    uint32_t extents[4];
} spork__run;

/* An item that is done again, and its attempt. */
typedef struct spork__again {
    uint32_t item, attempt;
} spork__again;

typedef struct spork__job {
    spork_task_fn fn;     /* a task; or: */
    spork__run *run;      /* a helper, which does items of that run until none is left */
    const spork_args *values; /* until `submit` has returned; or, if it had no room for them before: */
    const void *bytes;
    size_t size;
    uint32_t references;
    int timeout_ms; /* 0: none; else `running` is asked for */
    unsigned attempt;
    /* the executor's */
    uint32_t place, sequence;
    uint32_t extent;
    uint32_t where;
} spork__job;

enum { SPORK__RESULT_EXTENTS = SPORK_MAX_VALUES + 1, SPORK__RESULT_SMALL = 96 };

/* What a job came to: encoded values, or a sentence. */
typedef struct spork__result {
    spork_status status; /* SPORK_OK, SPORK_FAILED, SPORK_NO_SPACE, SPORK_BAD_MESSAGE, SPORK_INVALID */
    const void *bytes;
    size_t size;
    uint32_t references;
    void *owned; /* to be freed; NULL: `bytes` are `small`, or in an extent */
    uint32_t extents[SPORK__RESULT_EXTENTS];
    uint32_t extent_count;
    uint64_t item; /* of a run's helper: which item the sentence is about */
    SPORK__ALIGNED_16 unsigned char small[SPORK__RESULT_SMALL];
} spork__result;

typedef enum spork__pool_event_kind {
    SPORK__WORKER_UP,   /* it takes tasks from now on */
    SPORK__WORKER_GONE, /* or could not be started */
    SPORK__JOB_ENDED
} spork__pool_event_kind;

typedef struct spork__event {
    spork__pool_event_kind kind;
    unsigned worker;
    spork__job *job; /* JOB_ENDED; WORKER_GONE: the one that is lost with it, NULL: none */
    /* JOB_ENDED: the result is written into what `into` tells */
    uint64_t began, ended; /* 0: not asked for */
    /* WORKER_GONE */
    bool was_up, in_order; /* in_order: it has ended as it should */
    uint64_t item;         /* of a run: which item was under way; UINT64_MAX: none. Its result tells of the first that had failed before */
    int exitcode, pid;
    uint32_t native;
    uint64_t peak_rss, cpu_ms;
    spork_status status; /* SPORK_CRASHED, SPORK_OVER_LIMIT; of a start that failed: why */
    char text[512];
} spork__event;

typedef enum spork__stop {
    SPORK__STOP_ASK,       /* spork_task_cancelled */
    SPORK__STOP_TERMINATE, /* ends the worker */
    SPORK__STOP_KILL       /* the same, whatever it does against it */
} spork__stop;

typedef struct spork__executor spork__executor;

typedef struct spork__executor_kind {
    /* Begins to start a worker in that place. What comes of it is an event; SPORK_OK: it is under way. */
    spork_status (*start)(spork__executor *e, unsigned worker);
    /* A job's values as bytes, for later: their size, and, if `to` is not NULL, themselves; sets the job's `references`. */
    spork_status (*pack)(spork__executor *e, spork__job *job, void *to, size_t *size);
    /* Takes a job. SPORK_TIMEOUT: it has no room at present, ask again later. */
    spork_status (*submit)(spork__executor *e, spork__job *job);
    /* The same job once more, with another attempt; it must not have been dropped. */
    spork_status (*again)(spork__executor *e, spork__job *job);
    /* So that it never begins. false: it has begun, or ended. */
    bool (*withdraw)(spork__executor *e, spork__job *job);
    /* After the last event of a job. */
    void (*drop)(spork__executor *e, spork__job *job);
    /* Calls `fn` for each job that it has, under both locks. */
    void (*each)(spork__executor *e, void (*fn)(spork__job *job, void *user), void *user);
    /* Whether there may be an event; under no lock. */
    bool (*any)(const spork__executor *e);
    /* The next event; false: none. `into`: where the result of a job goes. `look`: whether workers are to be looked at, which takes longer. */
    bool (*next)(spork__executor *e, spork__event *event, bool look, spork__result *(*into)(spork__job *job));
    /* What a worker runs since when, if that job has a timeout: NULL: nothing, or no such. `item`: as in events. */
    spork__job *(*running)(spork__executor *e, unsigned worker, uint64_t *began, uint64_t *item);
    /* In which worker a job is; false: in none. */
    bool (*where)(spork__executor *e, const spork__job *job, unsigned *worker);
    /* Stops a job in that worker, and if `item` is not UINT64_MAX, at that item only. false: it has ended meanwhile. */
    bool (*stop)(spork__executor *e, unsigned worker, const spork__job *job, uint64_t item, spork__stop how);
    /* All that run are asked to stop. */
    void (*ask_all)(spork__executor *e);
    /* Ends all workers: at once, or when they have nothing to do any more. Events of their end come. */
    void (*end)(spork__executor *e, spork__stop how);
    void (*finish)(spork__executor *e);
    /* How soon it wants to be looked at while it has jobs, though no handle says so; -1: never. */
    int (*look_ms)(const spork__executor *e);
    /* Handles that tell of a worker's end; the `item` of each is for `fired`. false in *all: there are others that only a look finds. */
    size_t (*handles)(spork__executor *e, spork__wait_handle *handles, size_t room, bool *all);
    void (*fired)(spork__executor *e, size_t item);
    /* A process id, for messages and pictures; 0. */
    int (*pid)(spork__executor *e, unsigned worker);
    /* Values of a result. */
    spork_status (*decode)(spork__executor *e, const spork__result *result, spork_args *args);
    void (*forget)(spork__executor *e, spork__result *result);
    /* Items; under the lock of those who give. SPORK_NO_SPACE; SPORK_TIMEOUT: no room at present. `again`: from now on only these, one by one. */
    spork_status (*run_open)(spork__executor *e, spork__run *run);
    spork_status (*run_again)(spork__executor *e, spork__run *run, const spork__again *list, size_t count);
    /* Whether there are items that no helper has claimed yet; under no lock. */
    bool (*run_left)(spork__executor *e, const spork__run *run);
    size_t (*run_done)(spork__executor *e, const spork__run *run);
    void (*run_stop)(spork__executor *e, spork__run *run);
    void (*run_close)(spork__executor *e, spork__run *run);
    /* All workers have ended, and none will be started. */
    void (*disband)(spork__executor *e);
    /* Nobody uses a result any more. */
    void (*close)(spork__executor *e);
} spork__executor_kind;

struct spork__executor {
    const spork__executor_kind *kind;
    bool kills;        /* can it end one task without the others? */
    spork__bell *bell; /* rung when there is an event */
    const spork__ear *ear;
};

/* Options as the pool has checked them; `name` begins the workers' names. `call` is rung when a
 * worker is to be looked at, and no handle tells of it. NULL with a sentence. */
spork__executor *spork__local_open(const spork_pool_options *options, const char *name,
                                   const spork__chime *call);

#endif
#endif
