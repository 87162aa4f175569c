/**
 * @file pool.h
 * Pool: runs tasks in workers, which are processes of their own (or threads), and survives whatever the tasks do.
 *
 *     static int square(const spork_args *args, spork_task *task)         // runs in a worker
 *     {
 *         int n;
 *         if (spork_unpack(args, &n) != SPORK_OK) return 1;               // fails, with Spork's last sentence as the reason
 *         if (n < 0) return spork_fail(task, "%d is negative", n);        // fails, with a reason of its own
 *         return spork_return(task, n * n);
 *     }
 *
 *     spork_pool *pool = spork_pool_new(0);                               // as many workers as this process may use CPUs
 *     spork_future *future;
 *     int nine;
 *     SPORK_MUST(spork_pool_apply_async(pool, square, spork_pack(3), NULL, &future));
 *     if (spork_future_get(future, SPORK_FOREVER, &nine) != SPORK_OK) puts(spork_error());
 *     spork_future_free(future);
 *     spork_pool_free(pool);
 *
 * ## What a dead worker costs
 * Its own task, and nothing else: that task's future is SPORK_CRASHED and says of what, in which worker, at which attempt; or the task is
 * begun again in another one, as often as its `retries` say. A new worker takes the place of the dead one. All other tasks
 * are not concerned, and nobody waits for ever.
 *
 * ## How a task ends
 * Once, and in one of these ways, which are the future's status:
 * | status           | what happened                                                                                 |
 * |------------------|-----------------------------------------------------------------------------------------------|
 * | SPORK_OK         | it returned 0 or by spork_return                                                              |
 * | SPORK_FAILED     | it returned otherwise: spork_fail's text, or the last Spork sentence in it, or the number     |
 * | SPORK_CRASHED    | its worker died in it: of a signal, an exception, by exit(), or killed from outside           |
 * | SPORK_OVER_LIMIT | its worker died with at least 90 % of its memory limit in use                                 |
 * | SPORK_DEADLINE   | it ran longer than its timeout, and was ended                                                 |
 * | SPORK_CANCELLED  | spork_future_cancel                                                                           |
 * | SPORK_CLOSED     | the pool was terminated before the task had ended                                             |
 * | SPORK_BROKEN     | no worker can be started any more: the sentence tells why, for instance the initializer's own |
 * | SPORK_NO_SPACE, SPORK_NO_MEMORY | there was no memory for its arguments or its result                            |
 * `retries` are for SPORK_CRASHED, SPORK_OVER_LIMIT and SPORK_DEADLINE; what failed by itself would do so again.
 *
 * ## Being stopped
 * A task that is cancelled or past its deadline while it runs is first asked: spork_task_cancelled() turns true. 100 ms later its worker
 * is terminated, after another 100 ms killed, and replaced. When the future tells the end, the task runs no more. What it returns after it was
 * asked counts no more. A deadline may be noticed late by an eighth of the pool's shortest timeout.
 *
 * ## Workers
 * They are daemons: they end with the process that has the pool, however that ends. They leave Ctrl-C to it: SIGINT is ignored in
 * them. A pool that uses fork forks a small nursery when it is made, from which all workers come, later ones too: they inherit the
 * memory of that moment, and no thread of the program but the one that made the pool is ever concerned by a fork. A task's function is any
 * function of the program or of a library that it has loaded. Objects (queues, locks …) reach workers by the initializer's arguments;
 * the arguments of a task carry plain values. They must live until the pool has ended; what is moved there (spork_move) belongs to the pool.
 * What a task prints leaves the worker by the line (Windows: when the task ends).
 *
 * With `.threads` the workers are threads of this process: nothing is copied but packed values, spork_pointer may be packed, and nobody can
 * be killed: timeouts of tasks and limits are SPORK_UNSUPPORTED, and a task that is cancelled while it runs goes on until it returns. What
 * an initializer prepares for its worker alone is _Thread_local then.
 *
 * ## Rules
 * All functions may be called by several threads at once, and from callbacks; a free comes last for its object, and in a callback only the pool's is
 * allowed. A pool and its futures belong to the process that made them: SPORK_NOT_YOURS in others. A worker that somebody stops (SIGSTOP) is waited
 * for like any slow one; only if it holds a lock that others need is it killed, after a second.
 *
 * ## Failures that nobody looks at
 * are told by spork_pool_join and in the log. Looked at is what spork_future_check, _get, _status, _error or _death was asked of, what a `done` callback,
 * spork_pool_apply, _map or spork_imap_next was given. What was cancelled or closed is no failure.
 *
 * ## A picture of it
 * The environment's SPORK_TRACE=file.json writes a timeline of all pools of the program: a row for each worker, a span for each task,
 * marks for crashes, retries and replacements. Chrome's tracing and Perfetto open it.
 */
#ifndef SPORK_POOL_H
#define SPORK_POOL_H

#include "process.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Workers and what they have to do. */
typedef struct spork_pool spork_pool;
/** What becomes of one task. */
typedef struct spork_future spork_future;
/** The results of tasks from a source. */
typedef struct spork_imap spork_imap;

/** What a task sees of itself. */
typedef struct spork_task {
    size_t index;        /**< spork_pool_map: which item; else 0 */
    unsigned attempt;    /**< from 1; more after a retry */
    unsigned worker;     /**< whose place it runs in: from 0 to the number of workers - 1; a replacement has the same */
    const void *context; /**< spork_pool_map: the options' context, as this worker has it; else NULL */
    size_t context_size; /**< its bytes */
    void *reserved[4];   /**< Spork's. A zeroed spork_task will do to call a task directly, in a test */
} spork_task;

/** A task: 0 or spork_return(…) for success. `args` live until it returns. */
typedef int (*spork_task_fn)(const spork_args *args, spork_task *task);
/** One item of spork_pool_map: reads `in`, writes `out`. */
typedef int (*spork_item_fn)(const void *in, void *out, spork_task *task);

/* ---- making and ending -------------------------------------------------------------------------------------------- */

/** Options of a pool. Zero is the default of each. New members are appended in newer versions. */
typedef struct spork_pool_options {
    unsigned workers;             /**< 0: spork_cpu_count(); at most 1 024 */
    spork_start_method method;    /**< of the worker processes; SPORK_DEFAULT: the program's */
    spork_target initializer;     /**< runs first in each worker, with initargs, which live as long as the worker; not 0: the worker is useless */
    spork_args initargs;          /**< up to 15 values, objects too */
    unsigned max_tasks_per_child; /**< a worker is replaced after so many (a chunk of spork_pool_map counts as one); 0: never */
    unsigned retries;             /**< default of the tasks */
    int task_timeout_ms;          /**< default of the tasks (and of each item of spork_pool_map), from when they begin; 0: none */
    uint64_t max_memory;          /**< of each worker, as spork_process_options has it; 0: none */
    size_t max_pending;           /**< tasks that were given and have not ended: more wait outside; 0: no bound */
    bool threads;                 /**< workers are threads of this process */
    bool manual_callbacks;        /**< callbacks run in spork_pool_poll; else on a thread of the pool */
} spork_pool_options;

/** A pool of that many workers, 0: as many as this process may use CPUs. Results as of spork_pool_new_with. */
SPORK_API spork_pool *spork_pool_new(unsigned workers);

/**
 * The same with options: `spork_pool_new_with(&options)`. The workers are starting when it returns; whether they can, and whether the initializer
 * works, the tasks will learn.
 * @return the pool; NULL with SPORK_INVALID, SPORK_UNSUPPORTED (a method or limit that the system, or a pool of threads, lacks),
 *         SPORK_TOO_LARGE (workers, initargs), SPORK_BAD_STATE (spork_init is missing), SPORK_NO_SPACE, SPORK_NO_MEMORY.
 */
#define spork_pool_new_with(options) spork__pool_new((options), sizeof *(options))
/** What spork_pool_new_with calls; `size` tells which options this program was compiled with. */
SPORK_API spork_pool *spork__pool_new(const spork_pool_options *options, size_t size);

/** No more tasks: from now on SPORK_CLOSED. What was given is done, and then the workers end. */
SPORK_API spork_status spork_pool_close(spork_pool *pool);

/** Ends it at once: what has not ended is SPORK_CLOSED, and running workers are terminated, 100 ms later killed. Does not wait for that. */
SPORK_API spork_status spork_pool_terminate(spork_pool *pool);

/**
 * Waits until all is done, all callbacks have run (manual ones run in here), and all workers have ended.
 * @return SPORK_OK; SPORK_TIMEOUT; SPORK_FAILED: a task failed that nobody has looked at or still could (no future, no callback, or a future that
 *         was freed unasked): the sentence tells how many, and of the first of them what; SPORK_BAD_STATE: the pool is neither
 *         closed nor terminated, or this is one of its own callbacks. It may be asked again.
 */
SPORK_API spork_status spork_pool_join(spork_pool *pool, int timeout_ms);

/**
 * Closes it, waits for at most that long, and then terminates what is left: at three quarters of the time running tasks are asked (spork_task_cancelled),
 * at its end their workers are killed. Returns within 0.1 s of the time given, whatever the tasks do. SPORK_FOREVER: closes and joins it.
 * @return SPORK_OK: all is done; SPORK_TIMEOUT: it was not, and was ended; SPORK_FAILED as spork_pool_join. In a callback of the pool it only
 *         begins all that, and returns SPORK_OK.
 */
SPORK_API spork_status spork_pool_shutdown(spork_pool *pool, int deadline_ms);

/** Terminates what runs, waits for the end of the workers and of callbacks that run (in a pool of threads for a second at most), and frees the pool; manual
 *  callbacks that are due run in here. Futures stay valid, and are freed by themselves; an imap is freed before. In a callback of the pool: it ends
 *  when the callback has. NULL is fine. */
SPORK_API void spork_pool_free(spork_pool *pool);

/** How many workers it has. */
SPORK_API unsigned spork_pool_workers(const spork_pool *pool);

/** Numbers since the pool was made. New members are appended in newer versions. */
typedef struct spork_pool_counters {
    uint64_t submitted; /**< tasks given; a map counts as one */
    uint64_t completed; /**< ended with SPORK_OK */
    uint64_t failed;    /**< ended otherwise */
    uint64_t crashed;   /**< attempts at a task or an item that ended with their worker, also by a deadline */
    uint64_t retried;   /**< times that a task or an item was to be tried again, after such an end or a deadline */
    uint64_t replaced;  /**< workers that were started in another's place */
    uint64_t pending;   /**< now: given and not ended */
    uint64_t workers;   /**< now: alive and initialised */
} spork_pool_counters;
/** What has been and what is: `spork_pool_counters c; spork_pool_count(pool, &c);`. Of one moment each, not all of the same. */
#define spork_pool_count(pool, counters) spork__pool_count((pool), (counters), sizeof *(counters))
/** What spork_pool_count calls; `size` tells which counters this program was compiled with. */
SPORK_API spork_status spork__pool_count(spork_pool *pool, spork_pool_counters *counters, size_t size);

/* ---- tasks -------------------------------------------------------------------------------------------------------- */

/** Options of a task. Zero is the default of each. New members are appended in newer versions. */
typedef struct spork_task_options {
    int timeout_ms;   /**< from when it begins; 0: the pool's; SPORK_FOREVER: none */
    unsigned retries; /**< 0: the pool's */
    /** Called once when it has ended, on the pool's thread or in spork_pool_poll. The future is borrowed: it is not to be freed, and is valid until this
     *  returns, also if none was asked for. */
    void (*done)(const spork_future *future, void *user);
    void *user;          /**< for `done` */
    int room_timeout_ms; /**< with max_pending: how long to wait for room; 0: as long as it takes */
    bool no_wait;        /**< with max_pending: not at all */
} spork_task_options;

/**
 * Gives a task to the pool, and does not wait for it: `spork_pool_apply_async(pool, fn, spork_pack(…), NULL, &future)`.
 * @param options  may be NULL
 * @param future   may be NULL: then a failure is told by spork_pool_join and in the log; else *future is to be freed
 * @return SPORK_OK; SPORK_TIMEOUT: no room within the time; SPORK_CLOSED: the pool is closed; SPORK_BROKEN: no worker can be started;
 *         SPORK_INVALID: an argument that cannot travel, or no function of a loaded image; SPORK_UNSUPPORTED: an object among the
 *         arguments, a timeout in a pool of threads; SPORK_NO_MEMORY, SPORK_NO_SPACE; SPORK_NOT_YOURS. *future is NULL then.
 * Ownership: values are copied before it returns.
 */
#define spork_pool_apply_async(pool, fn, args, options, future)                                                        \
    spork__pool_apply_async((pool), (fn), (args), (options), sizeof(spork_task_options), (future))
/** What spork_pool_apply_async calls; `size` tells which options this program was compiled with. */
SPORK_API spork_status spork__pool_apply_async(spork_pool *pool, spork_task_fn fn, spork_args args,
                                               const spork_task_options *options, size_t size, spork_future **future);

/**
 * Runs one task and waits for it.
 * @param result  its values, to be freed by spork_args_free; may be NULL
 * @return how the task ended, see above; SPORK_TIMEOUT: not in time, and it is cancelled; otherwise as spork_pool_apply_async.
 */
SPORK_API spork_status spork_pool_apply(spork_pool *pool, spork_task_fn fn, spork_args args, spork_args **result,
                                        int timeout_ms);

/** Options of a map. Zero is the default of each. New members are appended in newer versions. */
typedef struct spork_map_options {
    size_t chunk;            /**< items that a worker takes at once; 0: count / (8 workers) */
    const void *context;     /**< given to each item as task->context: copied once */
    size_t context_size;     /**< its bytes */
    spork_status *statuses;  /**< room for `count`: how each item ended */
    int deadline_ms;         /**< for all of it; items that have not ended then are SPORK_DEADLINE. 0: none */
    void (*progress)(size_t done, size_t total, void *user); /**< on the caller's thread, now and then and at the end; done: that have ended */
    void *user;              /**< for `progress` */
} spork_map_options;

/**
 * Calls `fn(&in[i], &out[i], task)` for each i below `count`, in the workers, and waits for all: `spork_pool_map(pool, fn, in, out, count, NULL)`.
 * Items are of a fixed size, by value, without pointers. `in` and `out` may be the same array.
 *
 * An item whose worker dies, or that fails, is that item's status alone; `retries` of the pool hold for each item.
 * @return SPORK_OK: all did; else the status of the first item (by index) that did not, and the sentence tells which, why, and how many.
 *         out[i] is written for those items only that ended with SPORK_OK. SPORK_CLOSED, SPORK_BROKEN … as spork_pool_apply_async.
 */
#define spork_pool_map(pool, fn, in, out, count, options)                                                              \
    spork__pool_map((pool), (fn), (in), sizeof *(in), (out), sizeof *(out), (count), (options), sizeof(spork_map_options))
/** What spork_pool_map calls. `in` may be NULL with in_size 0, `out` NULL with out_size 0. */
SPORK_API spork_status spork__pool_map(spork_pool *pool, spork_item_fn fn, const void *in, size_t in_size, void *out,
                                       size_t out_size, size_t count, const spork_map_options *options, size_t size);

/* ---- imap: tasks from a source ------------------------------------------------------------------------------------- */

/**
 * Tells the arguments of the next task: `*next = spork_pack(…)`. What they borrow must live until it is called again.
 * @return SPORK_OK; SPORK_CLOSED: there are no more; anything else ends it too, and is what spork_imap_next returns after what came before.
 */
typedef spork_status (*spork_source)(void *user, spork_args *next);

/**
 * Tasks from a source, with results as they are taken: the source is asked only when a result is taken, for at most `window` tasks ahead of the
 * results. So an endless source needs no more memory than a short one.
 * @param window   0: twice the number of workers
 * @param ordered  results come in the order of their tasks; else as they end
 * @return NULL with SPORK_INVALID, SPORK_NO_MEMORY, SPORK_NOT_YOURS. Free it before the pool.
 */
SPORK_API spork_imap *spork_pool_imap(spork_pool *pool, spork_task_fn fn, spork_source source, void *user,
                                      size_t window, bool ordered);

/**
 * The next result. The source runs in here, on the caller's thread.
 * @param result  the future of a task that has ended, well or not: ask it. Borrowed: it lives until the next call.
 * @return SPORK_OK; SPORK_TIMEOUT; SPORK_CLOSED: there are no more; what the source said instead of SPORK_OK; SPORK_CLOSED, SPORK_BROKEN …: the pool takes no
 *         more tasks.
 * Thread-safety: one thread at a time.
 */
SPORK_API spork_status spork_imap_next(spork_imap *imap, const spork_future **result, int timeout_ms);

/** Cancels what runs, and lets go of it. NULL is fine. */
SPORK_API void spork_imap_free(spork_imap *imap);

/* ---- futures ------------------------------------------------------------------------------------------------------- */

/** Waits until it has ended. SPORK_OK, however it ended; SPORK_TIMEOUT. */
SPORK_API spork_status spork_future_wait(const spork_future *future, int timeout_ms);

/** Waits until one of them has ended (NULLs are none): *index tells which, the first by its place. SPORK_CLOSED: all are NULL. To take them as they end,
 *  put NULL into its place before the next call. */
SPORK_API spork_status spork_future_wait_any(spork_future *const *futures, size_t count, int timeout_ms, size_t *index);
/** Waits until all of them have ended. */
SPORK_API spork_status spork_future_wait_all(spork_future *const *futures, size_t count, int timeout_ms);

/** Waits, and tells how the task ended, with its reason in spork_error(); SPORK_TIMEOUT: it has not. For tasks without values, and for SPORK_MUST. */
SPORK_API spork_status spork_future_check(const spork_future *future, int timeout_ms);

/** How it ended, see the table above; SPORK_TIMEOUT: it has not. Does not set spork_error(). */
SPORK_API spork_status spork_future_status(const spork_future *future);

/** What spork_future_get, at the end of this file, calls. */
SPORK_API spork_status spork__future_get(const spork_future *future, int timeout_ms, size_t count,
                                         const spork_slot *slots);

/** Why it did not end well, as one sentence; "" if it did, or has not ended. Lives as long as the future. */
SPORK_API const char *spork_future_error(const spork_future *future);

/** What is known of a task that did not end well. New members are appended in newer versions. */
typedef struct spork_death {
    int exitcode;       /**< of its worker, by the table in process.h; SPORK_RUNNING: it lives, the task failed by itself or never began */
    uint32_t native;    /**< the system's own code of that end: a wait status, or Windows' exit code */
    int pid;            /**< of the worker; 0: it never began */
    unsigned worker;    /**< its place */
    unsigned attempt;   /**< which one was the last; 0: it never began */
    uint64_t task;      /**< number of the task in its pool, from 1 in the order of submission; a map counts as one */
    uint64_t peak_rss;  /**< bytes, of the dead worker; 0: the system does not tell */
    uint64_t cpu_ms;    /**< the same */
    const char *text;   /**< spork_future_error() */
} spork_death;
/** SPORK_OK; SPORK_BAD_STATE: it ended well, or has not ended. */
#define spork_future_death(future, death) spork__future_death((future), (death), sizeof *(death))
/** What spork_future_death calls; `size` tells which record this program was compiled with. */
SPORK_API spork_status spork__future_death(const spork_future *future, spork_death *death, size_t size);

/**
 * Cancels it: one that has not begun never will; one that runs is stopped (see above).
 * @return SPORK_OK: it will end as SPORK_CANCELLED, and nothing else; SPORK_BAD_STATE: it has ended.
 */
SPORK_API spork_status spork_future_cancel(spork_future *future);

/** Lets go of it; the task goes on. NULL is fine. */
SPORK_API void spork_future_free(spork_future *future);

/* ---- callbacks in a loop of your own -------------------------------------------------------------------------------- */

/**
 * Of a pool with `.manual_callbacks`: runs those that are due on this thread, after a wait of at most that long for the first.
 * @return SPORK_OK: at least one ran; SPORK_TIMEOUT; SPORK_CLOSED: none is due, and none will be: the pool is closed and has nothing pending;
 *         SPORK_BAD_STATE: its callbacks are run by its thread.
 */
SPORK_API spork_status spork_pool_poll(spork_pool *pool, int timeout_ms);

/** A descriptor or HANDLE that is ready as long as callbacks are due, or when there will be no more; nothing has to be armed. Borrowed. -1: SPORK_BAD_STATE as
 *  above. */
SPORK_API spork_native spork_pool_handle(spork_pool *pool);

/* ---- inside a task --------------------------------------------------------------------------------------------------- */

/** What spork_return, at the end of this file, calls. */
SPORK_API int spork__return(spork_task *task, spork_args values);

/** `return spork_fail(task, "cannot open %s", path);` fails with that reason, of any length. Never returns 0. */
SPORK_API int spork_fail(spork_task *task, const char *format, ...) SPORK__PRINTF(2, 3);

/** Whether it shall stop: cancelled, past its deadline, or the pool is terminated, or shut down and its time nearly over. */
SPORK_API bool spork_task_cancelled(const spork_task *task);

/**
 * Room for a large result, in memory that the pool's process has too: bytes or an array in it that spork_return is given are not copied, neither here nor
 * there. Aligned to 4 096; what is in it is left from others. At most 64 of them in a task.
 * @return never NULL for a size of 0; NULL with SPORK_NO_SPACE; SPORK_BAD_STATE: in an item of spork_pool_map, or outside of a pool. Freed with the result, or if it is not returned, when the task ends.
 */
SPORK_API void *spork_task_alloc(spork_task *task, size_t size);

#ifdef __cplusplus
}
template <class... T> spork_status spork_future_get(const spork_future *future, int timeout_ms, T... to)
{
    const spork_slot slots[] = {spork__to(to)...};
    return spork__future_get(future, timeout_ms, sizeof...(T), slots);
}
template <class... T> int spork_return(spork_task *task, T... values)
{
    return spork__return(task, spork_pack(values...));
}
#else
/** Waits, and stores the task's values as spork_unpack does: `spork_future_get(future, timeout_ms, &a, &b …)`. Strings and bytes live as long as the
 *  future. May be asked again. Returns how the task ended, with its reason in spork_error(); SPORK_TIMEOUT; SPORK_INVALID: they are other values. */
#define spork_future_get(future, timeout_ms, ...) spork__future_get((future), (timeout_ms), SPORK__SLOTS(__VA_ARGS__))
/** `return spork_return(task, x, y …);` gives the task's values back: they are copied at once, so they may be local variables. */
#define spork_return(task, ...) spork__return((task), spork_pack(__VA_ARGS__))
#endif
#endif
