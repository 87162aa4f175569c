/**
 * @file process.h
 * Process: runs a function of this program, or of a library it has loaded, in another process.
 *
 *     static int hello(const spork_args *args)          // runs in the child; its return is the exit code
 *     {
 *         const char *name;
 *         if (spork_unpack(args, &name) != SPORK_OK) return 1;
 *         printf("hello %s from %d\n", name, spork_getpid());
 *         return 0;
 *     }
 *
 *     spork_process *p = spork_process_new(hello, spork_pack("world"));
 *     SPORK_MUST(spork_process_start(p));
 *     SPORK_MUST(spork_process_join(p, SPORK_FOREVER));
 *     spork_process_free(p);
 *
 * ## Start methods
 * | method           | where                       | how                                                        |
 * |------------------|-----------------------------|------------------------------------------------------------|
 * | SPORK_FORK       | POSIX; default on Linux, BSD | fork; the child goes straight to its target               |
 * | SPORK_SPAWN      | everywhere; default on Windows, macOS | the program itself, started anew                  |
 * | SPORK_FORKSERVER | POSIX                       | a small server, itself spawned, forks on request           |
 *
 * The default can be changed by spork_set_start_method, by the environment's SPORK_START_METHOD (fork, spawn or
 * forkserver), or for one process in its options; the most particular wins.
 *
 * ## What a child has
 * Its arguments, and the objects among them. Descriptors: under spawn and forkserver 0, 1, 2, the declared set and
 * `.pass_fds`, nothing else; under fork also the program's own (foreign) ones, but no Spork object that was not passed.
 * Signal dispositions are the default (but for signals that were ignored when the program began, as under nohup) and no
 * signal is blocked. stdout is line-buffered (Windows' C runtime has no such mode: there, end a line that must arrive whole
 * by fflush). It may start processes itself. A program that the target executes has `.pass_fds`, too, and dies with the
 * parent (Linux).
 * Spawn and forkserver children see the working directory, environment, stdin, stdout and stderr of the moment of `start`.
 *
 * ## How a child ends
 * By returning from its target, by exit() (with glibc under fork and forkserver the same as a return; else the handlers that
 * it has by atexit run then), by a signal, or by the death of its parent: a child dies with its parent, however that dies,
 * unless `.outlive_parent`. On return it joins its own children, runs what spork_at_child_exit was given, flushes
 * stdout and stderr and ends by _exit (TerminateProcess on Windows): the program's atexit handlers do not run in it.
 *
 * ## Exit codes, alike on every system
 * | code               | meaning                                                                                     |
 * |--------------------|---------------------------------------------------------------------------------------------|
 * | 0 … 255            | the status, `& 0xFF`; 255 if a target returned another number than 0 that would be 0 by that  |
 * | -N                 | died by signal N: -6 abort, -9 kill, -11 access violation, -15 terminate, -2 interrupt      |
 * | SPORK_RUNNING      | has not ended, or was not started                                                             |
 * | SPORK_EXIT_UNKNOWN | it ended, but somebody else took its status (the host called waitpid(-1) or ignores SIGCHLD) |
 *
 * Linux from 6.15 tells the last one's, too. On Windows an access violation or a stack overflow is -11, an integer
 * division by zero -8, an illegal instruction -4, a breakpoint -5, raise(N) of an unhandled signal -N; other exception
 * codes are SPORK_EXIT_UNKNOWN, and spork_process_outcome tells the code.
 *
 * ## Rules
 * An object belongs to the process that made it: after a plain fork the child gets SPORK_NOT_YOURS. All functions may be
 * called by several threads on the same object, except its free, which comes last.
 */
#ifndef SPORK_PROCESS_H
#define SPORK_PROCESS_H

#include "value.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Exit code of a process that has not ended, or was not started. */
#define SPORK_RUNNING INT32_MIN
/** Exit code of a process whose status somebody else took. */
#define SPORK_EXIT_UNKNOWN (INT32_MIN + 1)

/** A child, before its start, while it runs, and when it has ended. */
typedef struct spork_process spork_process;

/** What a process runs; the return is its exit code. `args` live as long as the process. Can be called directly too. */
typedef int (*spork_target)(const spork_args *args);

/** How a child comes into being, see above. */
typedef enum spork_start_method {
    SPORK_DEFAULT = 0,   /**< the program's: spork_get_start_method */
    SPORK_FORK = 1,      /**< POSIX only */
    SPORK_SPAWN = 2,     /**< on every system */
    SPORK_FORKSERVER = 3 /**< POSIX only */
} spork_start_method;

/** Options of a process. Zero is the default of each. New members are appended in newer versions. */
typedef struct spork_process_options {
    spork_target target;       /**< what to run; or use `run` */
    spork_args args;           /**< its values */
    const char *name;          /**< NULL: Process-N, from 1; a child's children are Process-1:1, Process-1:2 … */
    spork_start_method method; /**< SPORK_DEFAULT: the program's */
    bool daemon;               /**< terminated, not joined, when its parent ends, after its siblings: spork_shutdown */
    bool outlive_parent;       /**< lives on when its parent dies; still joined at a normal end, unless freed before */

    /** The class with its own run: `self`, a struct of `self_size` bytes, is copied to the child and handed to `run`.
     *  It carries no Spork objects (pass those in args) and no pointers (under spawn they mean nothing). */
    int (*run)(void *self, const spork_args *args);
    const void *self; /**< borrowed until spork_process_new_with returns */
    size_t self_size; /**< its bytes */

    /** Limits; 0 is none. Where the system cannot enforce one, spork_process_new_with gives NULL with SPORK_UNSUPPORTED. */
    uint64_t max_memory; /**< bytes of private memory: allocating more fails (Linux: RLIMIT_DATA; Windows: job); what the parent mapped
                              and never touched does not count */
    uint64_t max_cpu_ms; /**< CPU time, rounded up to seconds on POSIX; then it dies with -24 (SIGXCPU) everywhere */
    unsigned max_files;  /**< descriptors open at once, the inherited ones included (not on Windows) */

    /** Descriptors or handles that the child gets besides, under the same numbers. Read at `start`. */
    const spork_native *pass_fds;
    size_t pass_fds_count; /**< how many they are */
} spork_process_options;

/**
 * Makes a process that will run `target(args)`. Nothing is started yet.
 *
 * @return the process; NULL with SPORK_INVALID (no target, an argument that cannot travel) or SPORK_NO_MEMORY.
 * Ownership: plain values in `args` are copied; objects must live until `start` returns. Free it by spork_process_free.
 */
SPORK_API spork_process *spork_process_new(spork_target target, spork_args args);

/**
 * The same with options: `spork_process_new_with(&options)`.
 * @return as spork_process_new; also NULL with SPORK_UNSUPPORTED for a method or a limit that this system lacks.
 */
#define spork_process_new_with(options) spork__process_new((options), sizeof *(options))
/** What spork_process_new_with calls; `size` tells which options this program was compiled with. */
SPORK_API spork_process *spork__process_new(const spork_process_options *options, size_t size);

/**
 * Starts it; returns when the child has taken over its arguments (fork and forkserver: when it certainly will).
 *
 * stdout and stderr are flushed first. May be called in several threads at once.
 * @return SPORK_OK; SPORK_BAD_STATE: started before, or spork_init is missing; SPORK_INVALID: an argument or the target
 *         cannot reach the child (its library was unloaded); SPORK_BROKEN: the child died during its bootstrap, the
 *         sentence tells of what; SPORK_UNSUPPORTED; SPORK_NO_SPACE (processes, descriptors); SPORK_NO_MEMORY;
 *         SPORK_NOT_FOUND, SPORK_DENIED: the program file; SPORK_OS_ERROR. After any of these the target has not run, and
 *         `start` may be tried again; but for a child that took over in the moment when it was killed for being late
 *         (SPORK_START_TIMEOUT_MS), of which the sentence says that it may have begun.
 */
SPORK_API spork_status spork_process_start(spork_process *process);

/**
 * Waits until it has ended.
 * @return SPORK_OK: it has ended, exitcode tells how; SPORK_TIMEOUT; SPORK_BAD_STATE: not started, or a process that
 *         joins itself; SPORK_NOT_YOURS; SPORK_INVALID: NULL.
 */
SPORK_API spork_status spork_process_join(spork_process *process, int timeout_ms);

/**
 * Asks it to end: SIGTERM, exit code -15 unless it handles that signal. On Windows it is ended at once (-15).
 * @return SPORK_OK, also if it has ended already; SPORK_BAD_STATE: not started; SPORK_NOT_YOURS; SPORK_OS_ERROR.
 * Never reaches another process that got the same number.
 */
SPORK_API spork_status spork_process_terminate(spork_process *process);

/** Ends it at once, exit code -9. Results as spork_process_terminate. */
SPORK_API spork_status spork_process_kill(spork_process *process);

/**
 * Sends it what Ctrl-C sends: SIGINT. Unhandled: exit code -2. Results as spork_process_terminate.
 * Platform: on Windows a thread of Spork in the child runs the handler set by signal(SIGINT, …).
 */
SPORK_API spork_status spork_process_interrupt(spork_process *process);

/** Whether it was started and has not ended. False for NULL and for another process' object. */
SPORK_API bool spork_process_is_alive(const spork_process *process);

/** Its exit code by the table above. */
SPORK_API int spork_process_exitcode(const spork_process *process);

/**
 * How it ended, as a status: SPORK_OK (exit code 0), SPORK_FAILED (another exit code), SPORK_CRASHED (a signal or an
 * exception), SPORK_OVER_LIMIT (it died at its CPU limit, or failed with at least 90 % of its memory limit in use);
 * SPORK_TIMEOUT while it runs, SPORK_BAD_STATE before its start, SPORK_BROKEN if its status is unknown. Sets spork_error()
 * to a sentence that tells name, pid, how it ended and, with limits, how near it came.
 */
SPORK_API spork_status spork_process_outcome(const spork_process *process);

/** Its id; 0 before its start. After its end the number may belong to somebody else: never signal it by that. */
SPORK_API int spork_process_pid(const spork_process *process);

/** Its name. Lives as long as the object. "" for NULL. */
SPORK_API const char *spork_process_name(const spork_process *process);

/** Whether it is a daemon, by its options; also of spork_current_process. */
SPORK_API bool spork_process_is_daemon(const spork_process *process);

/**
 * A descriptor (poll it for reading) or HANDLE that becomes ready when the process ends; -1 before its start, and on
 * systems without one (Linux before 5.3). Borrowed: it lives as long as the object; only wait on it.
 */
SPORK_API spork_native spork_process_sentinel(const spork_process *process);

/**
 * Lets go of the object. A child that still runs runs on, is reaped at a later Spork call and joined at this process' end
 * (a daemon: terminated; one that outlives its parent: left alone). Not for spork_current_process or spork_parent_process.
 */
SPORK_API void spork_process_free(spork_process *process);

/** This process as an object: its name and pid. Belongs to Spork. Never NULL after spork_init. */
SPORK_API spork_process *spork_current_process(void);

/**
 * The Spork process that started this one: name, pid, is_alive, join (for children that outlive it). NULL in a process
 * that Spork did not start. Belongs to Spork.
 */
SPORK_API spork_process *spork_parent_process(void);

/**
 * Stores up to `room` of this process' started children that have not ended into `list`, and returns how many there are.
 * `list` may be NULL if `room` is 0. Freed ones are not listed. Reaps those that have ended.
 */
SPORK_API size_t spork_active_children(spork_process **list, size_t room);

/**
 * The start method for processes that name none. SPORK_DEFAULT: the system's.
 * @return SPORK_OK; SPORK_UNSUPPORTED: not on this system; SPORK_INVALID.
 */
SPORK_API spork_status spork_set_start_method(spork_start_method method);

/**
 * Stores up to `room` of the start methods that this system has into `list`, its own default first, and returns how many there
 * are: one to three. `list` may be NULL if `room` is 0.
 */
SPORK_API size_t spork_start_methods(spork_start_method *list, size_t room);

/**
 * The method that a process without one in its options would use now, never SPORK_DEFAULT: what was set by the program, or by its
 * parent's; else what SPORK_START_METHOD in the environment names; else, in a child, the one that it was started by; else the
 * system's.
 */
SPORK_API spork_start_method spork_get_start_method(void);

/**
 * The program that spawn and forkserver run instead of this one; NULL: this one again. It must call spork_init first and be
 * able to load the library that holds the target: another build of this program, or spork-host, which is installed
 * with Spork for hosts whose main is not theirs (plug-ins). The path is copied.
 * @return SPORK_OK; SPORK_NOT_FOUND; SPORK_NO_MEMORY.
 */
SPORK_API spork_status spork_set_executable(const char *path);

/** Where spork-host is: the environment's SPORK_HOST, else beside the Spork library, else in the installation that the library is a
 *  part of (which may have been moved); NULL with SPORK_NOT_FOUND. Lives until the next call in this thread. */
SPORK_API const char *spork_host_path(void);

/**
 * Runs `fn(user)` at the end of this process if Spork started it, after its target returned: last given, first run.
 * Inherited by forked children? No: what a child does at its end, it says itself.
 * @return SPORK_OK; SPORK_INVALID: fn is NULL; SPORK_BAD_STATE: not in a child of Spork; SPORK_NO_MEMORY.
 */
SPORK_API spork_status spork_at_child_exit(void (*fn)(void *user), void *user);

#ifdef __cplusplus
}
#endif
#endif
