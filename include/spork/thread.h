/**
 * @file thread.h
 * Thread: runs a function of this program beside its others, in this same process. The same shape as Process (process.h), and locks,
 * queues and events serve both.
 *
 *     static int work(const spork_args *args)           // runs in the thread; its return is the exit code
 *     {
 *         int n;
 *         if (spork_unpack(args, &n) != SPORK_OK) return 1;
 *         printf("%s counts to %d\n", spork_thread_name(spork_current_thread()), n);
 *         return 0;
 *     }
 *
 *     spork_thread *t = spork_thread_new(work, spork_pack(5));
 *     SPORK_MUST(spork_thread_start(t));
 *     SPORK_MUST(spork_thread_join(t, SPORK_FOREVER));
 *     spork_thread_free(t);
 *
 * ## What is shared, and what is not
 * | packed                 | a process has                     | a thread has                                                  |
 * |------------------------|-----------------------------------|---------------------------------------------------------------|
 * | plain values           | a copy                            | a copy, made by `new`                                         |
 * | spork_pointer(p)       | SPORK_INVALID                     | the same pointer                                              |
 * | a Spork object         | an object of its own              | the same object: it must live until the thread has ended      |
 * | spork_move(object)     | it, and ours is closed            | it, once `start` has succeeded: freed when the thread ends, unless the thread keeps it; what came in a message must be kept before |
 * | spork_put_only(queue) …| a queue with that role            | SPORK_UNSUPPORTED: roles are of processes; use spork_queue_close |
 * | globals                | a copy (fork), or as at the start | the same                                                      |
 *
 * ## The end of the program
 * As for processes, a program, and a child of Spork's, waits at its normal end for the threads that it has started and that are no daemons (naming them after two
 * seconds; SPORK_EXIT_WAIT_MS bounds the wait). A daemon thread is not waited for: it ends wherever it is.
 *
 * A crash in a thread is a crash of the whole process. What may crash belongs into a process.
 *
 * All functions may be called by several threads on the same object, except its free, which comes last. After a plain fork
 * the child has no thread but the one that forked: SPORK_NOT_YOURS.
 */
#ifndef SPORK_THREAD_H
#define SPORK_THREAD_H

#include "process.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A thread, before its start, while it runs, and when it has ended. */
typedef struct spork_thread spork_thread;

/** Options of a thread. Zero is the default of each. New members are appended in newer versions. */
typedef struct spork_thread_options {
    spork_target target; /**< what to run; or use `run` */
    spork_args args;     /**< its values */
    const char *name;    /**< NULL: Thread-N, from 1 */
    bool daemon;         /**< not waited for at the end of the program */

    /** The class with its own run: `self`, a struct of `self_size` bytes, is copied and handed to `run`. */
    int (*run)(void *self, const spork_args *args);
    const void *self; /**< borrowed until spork_thread_new_with returns */
    size_t self_size; /**< its bytes */
} spork_thread_options;

/**
 * Makes a thread that will run `target(args)`. Nothing is started yet.
 * @return the thread; NULL with SPORK_INVALID (no target, an argument that cannot be packed), SPORK_UNSUPPORTED (a queue with a role) or
 *         SPORK_NO_MEMORY.
 * Ownership: plain values in `args` are copied; objects stay yours, see the table above. Free it by spork_thread_free.
 */
SPORK_API spork_thread *spork_thread_new(spork_target target, spork_args args);

/** The same with options: `spork_thread_new_with(&options)`. */
#define spork_thread_new_with(options) spork__thread_new((options), sizeof *(options))
/** What spork_thread_new_with calls; `size` tells which options this program was compiled with. */
SPORK_API spork_thread *spork__thread_new(const spork_thread_options *options, size_t size);

/**
 * Starts it; it may be running before this returns.
 * @return SPORK_OK; SPORK_BAD_STATE: started before; SPORK_NO_SPACE: the system has no room for another; SPORK_NOT_YOURS. After a failure it
 *         may be tried again.
 */
SPORK_API spork_status spork_thread_start(spork_thread *thread);

/**
 * Waits until it has ended: its target has returned, or was cut short, and nothing of it runs any more.
 * @return SPORK_OK; SPORK_TIMEOUT; SPORK_BAD_STATE: not started, or a thread that joins itself; SPORK_NOT_YOURS; SPORK_INVALID: NULL.
 */
SPORK_API spork_status spork_thread_join(spork_thread *thread, int timeout_ms);

/** Whether it was started and its target has not returned. False for NULL. */
SPORK_API bool spork_thread_is_alive(const spork_thread *thread);

/** What its target returned, the whole int; SPORK_RUNNING before that; SPORK_EXIT_UNKNOWN: it has not returned, as it was cancelled or has called
 *  pthread_exit, or ExitThread on Windows. */
SPORK_API int spork_thread_exitcode(const spork_thread *thread);

/** Its name. Lives as long as the object. "" for NULL. */
SPORK_API const char *spork_thread_name(const spork_thread *thread);

/** Lets go of the object. A thread that runs runs on, and needs what it was lent: who has let go cannot learn when it has ended. Nothing happens to
 *  spork_current_thread's. NULL is fine. */
SPORK_API void spork_thread_free(spork_thread *thread);

/**
 * The calling thread as an object: its name, and whether it lives. "MainThread" for the one that called spork_init, or that runs a
 * process' target; "Dummy-N" for one that somebody else has started. Belongs to Spork, and lives as long as the thread. Never NULL.
 */
SPORK_API spork_thread *spork_current_thread(void);

/**
 * Stores up to `room` of the threads that were started by Spork, have not ended and were not freed into `list`, and returns how many there are.
 * `list` may be NULL if `room` is 0.
 */
SPORK_API size_t spork_active_threads(spork_thread **list, size_t room);

#ifdef __cplusplus
}
#endif
#endif
