/**
 * @file base.h
 * The ground everything stands on: statuses and the error sentence, logging, version, time, CPUs and the plain fork.
 *
 * Rules that hold for all of Spork:
 *  - Constructors return an object or NULL; everything else returns a spork_status. Any status but SPORK_OK means that
 *    nothing happened: not held, not sent, not taken.
 *  - A NULL object gives SPORK_INVALID and keeps the earlier sentence, so that one check after
 *    `spork_process_start(spork_process_new(...))` serves both calls.
 *  - Every `_free(NULL)` does nothing.
 *  - Strings are UTF-8. Timeouts are milliseconds: SPORK_FOREVER waits, 0 only looks;
 *    another negative number is SPORK_INVALID.
 *  - All functions are thread-safe unless their comment says otherwise; none is async-signal-safe unless it says so.
 *  - A cancelled thread (pthread_cancel) ends where it waits for others, and nowhere else in here: docs/signals.md.
 */
#ifndef SPORK_BASE_H
#define SPORK_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/** The version of these headers. spork_init refuses a library that does not go with them: one of another major version,
 * or of an earlier minor one; below 1.0 one of another minor version. */
#define SPORK_VERSION_MAJOR 0
#define SPORK_VERSION_MINOR 1 /**< see SPORK_VERSION_MAJOR */
#define SPORK_VERSION_PATCH 0 /**< see SPORK_VERSION_MAJOR */
/** The three as one number, for comparisons: 10203 for 1.2.3. */
#define SPORK_VERSION_NUMBER (SPORK_VERSION_MAJOR * 10000 + SPORK_VERSION_MINOR * 100 + SPORK_VERSION_PATCH)

/** @def SPORK_API
 * Stands before every public function. Users of the shared library on Windows define SPORK_SHARED (the CMake target and the .pc file do
 * it for them). */
#if defined(_WIN32) && defined(SPORK_SHARED)
#ifdef SPORK_BUILDING
#define SPORK_API __declspec(dllexport)
#else
#define SPORK_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define SPORK_API __attribute__((visibility("default")))
#else
#define SPORK_API
#endif

#if defined(__MINGW32__) && !defined(__clang__)
#define SPORK__PRINTF(text, first) __attribute__((__format__(__gnu_printf__, text, first)))
#elif defined(__GNUC__)
#define SPORK__PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define SPORK__PRINTF(text, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Waits without a limit. */
#define SPORK_FOREVER (-1)

/** All defaults, for any options: `spork_pool_options options = SPORK_DEFAULTS;`, alike in C and C++, without a warning in either. */
#ifdef __cplusplus
#define SPORK_DEFAULTS {}
#else
#define SPORK_DEFAULTS {0}
#endif

/** A descriptor (POSIX) or a HANDLE (Windows); -1 is none. */
typedef intptr_t spork_native;

/** What to wait for (wait.h), and the directions of an end (connection.h). */
enum {
    SPORK_READ = 1, /**< something to take, or the end */
    SPORK_WRITE = 2 /**< room to give */
};

/**
 * The result of a call. The values are fixed: the same on every system and in every version, fit for a `switch`, a file
 * or a message. 32 and above are the fate of work that somebody else did, not of the call that tells it.
 */
typedef enum spork_status {
    SPORK_OK = 0,
    SPORK_TIMEOUT = 1,      /**< your wait ended first: empty, full, not yet */
    SPORK_CLOSED = 2,       /**< no peer is left, or the end of a sequence */
    SPORK_INVALID = 3,      /**< an argument cannot mean anything */
    SPORK_BAD_STATE = 4,    /**< right call, wrong moment: started twice, spork_init missing */
    SPORK_NOT_SHARED = 5,   /**< this process was not given that object */
    SPORK_UNSUPPORTED = 6,  /**< this system, or this build, cannot do it */
    SPORK_NO_MEMORY = 7,    /**< this process has no memory left */
    SPORK_NO_SPACE = 8,     /**< a shared resource is full: memory object, process table, descriptors */
    SPORK_TOO_SMALL = 9,    /**< the buffer given is smaller than what is there */
    SPORK_TOO_LARGE = 10,   /**< more than the receiver or the format can take */
    SPORK_BAD_MESSAGE = 11, /**< bytes that no Spork process wrote, or that were damaged */
    SPORK_NOT_OWNER = 12,   /**< releasing what this process does not hold */
    SPORK_OWNER_DIED = 13,  /**< its owner died holding it; you do not hold it either */
    SPORK_BROKEN = 14,      /**< the other side died in the middle: a barrier, a stream, a fork server */
    SPORK_EXISTS = 15,     /**< that name is taken */
    SPORK_NOT_FOUND = 16,  /**< there is no such thing */
    SPORK_DENIED = 17,     /**< the system's permissions forbid it */
    SPORK_OS_ERROR = 18,   /**< another error of the system: spork_last_os_error() */
    SPORK_INTERNAL = 19,   /**< a defect of Spork itself; please report it */
    SPORK_READY = 20,      /**< do not sleep: what you would wait for is there */
    SPORK_NOT_YOURS = 21,  /**< the object belongs to the process that made it, and this is a fork of that one */
    SPORK_FAILED = 32,     /**< the work itself said that it failed */
    SPORK_CRASHED = 33,    /**< the process that did the work died of a signal or an exception */
    SPORK_DEADLINE = 34,   /**< the work's own limit passed, not your wait */
    SPORK_OVER_LIMIT = 35, /**< a limit on memory, CPU time or files ended it */
    SPORK_CANCELLED = 36   /**< somebody cancelled it */
} spork_status;

/** The status' name, "SPORK_TIMEOUT"; "SPORK_?" for a number that is none. Never NULL, static storage. */
SPORK_API const char *spork_status_name(spork_status status);

/**
 * The calling thread's last error as one sentence: what failed, on what, and what to do. "" if there was none.
 *
 * A call that succeeds leaves it alone. The text lives until the thread's next failing Spork call, or its end.
 */
SPORK_API const char *spork_error(void);

/** The status that belongs to spork_error(). SPORK_OK if there was no error yet. */
SPORK_API spork_status spork_last_status(void);

/** The system's own code behind spork_error(): an errno, or a GetLastError() value on Windows. 0 if there is none. */
SPORK_API int64_t spork_last_os_error(void);

/**
 * For programs that cannot go on: evaluates `call`, and unless it gives SPORK_OK prints file, line, status and sentence
 * to stderr and ends the process with exit code 70. For examples, tools and tests.
 */
#define SPORK_MUST(call) spork__must((call), __FILE__, __LINE__)
/** What SPORK_MUST calls. */
SPORK_API void spork__must(spork_status status, const char *file, int line);

/* ---- starting and ending -------------------------------------------------------------------------------------- */

SPORK_API spork_status spork__init(int argc, char **argv, int header_version);

/**
 * Ends what this process started: joins its children, then terminates those that are daemons, by which the others may have
 * been served (killed, if they do not end within two seconds), and stops its fork server.
 *
 * Children that take more than two seconds are named on stderr, and from then on nobody waits for this process any more: its
 * roles in queues and its ends of connections count as given up, and who waits for these is told SPORK_CLOSED. After two
 * more daemons are terminated all the same: a child may wait for the end of one. The environment's SPORK_EXIT_WAIT_MS
 * bounds the whole wait. What can still last for ever is a child's wait for something else of this process: a lock that it
 * holds, a permit, its arrival at a barrier, room in a queue that it has reserved.
 *
 * spork_init registers it with atexit. A plug-in calls it before it is unloaded. A second call does nothing more. In a
 * process that was forked without Spork it does nothing.
 */
SPORK_API void spork_shutdown(void);

/**
 * The first line of main: `spork_init(argc, argv);`. Programs without main's arguments pass `0, NULL`.
 *
 * In a program that a user started, it remembers the program file, so that children can run it again. In a child that
 * Spork started by spawn or forkserver it never returns: it runs the child's target and ends the process. Whatever stands
 * before it in main therefore runs in every such child too: keep that free of effects, as Python's
 * `if __name__ == '__main__':` does.
 *
 * It is inline so that the *program's* own atexit is used: the handler then runs before any library is torn down.
 *
 * @return SPORK_OK, also when called again; SPORK_UNSUPPORTED: headers and library do not go together, see above;
 *         SPORK_OS_ERROR. Starting a process before it succeeded gives SPORK_BAD_STATE.
 * Thread-safety: call it before the program starts threads.
 */
static inline spork_status spork_init(int argc, char **argv)
{
    static bool registered; /* one per translation unit; spork_shutdown itself does its work once */
    spork_status status = spork__init(argc, argv, SPORK_VERSION_NUMBER);
    if (status == SPORK_OK && !registered) registered = atexit(spork_shutdown) == 0;
    return status;
}

/* ---- logging -------------------------------------------------------------------------------------------------- */

/** How grave a line of the log is. */
typedef enum spork_log_level {
    SPORK_LOG_ERROR = 1,   /**< something is lost, or broken */
    SPORK_LOG_WARNING = 2, /**< the default */
    SPORK_LOG_INFO = 3,    /**< what happens, in few lines */
    SPORK_LOG_DEBUG = 4    /**< and in many */
} spork_log_level;

/** Receives one line without its end. `process` is the name of this process ("Process-1"). Must not call Spork. */
typedef void (*spork_log_fn)(spork_log_level level, const char *process, int pid, const char *text, void *user);

/**
 * Sends log lines to `fn` instead of stderr; NULL restores stderr. Lines above `level` are dropped; 0 takes the level from
 * the environment (SPORK_LOG = error, warning, info, debug or off). Children started by fork inherit the callback.
 */
SPORK_API void spork_set_log(spork_log_level level, spork_log_fn fn, void *user);

/* ---- waiting ------------------------------------------------------------------------------ */

/**
 * How long a wait in a queue, an event, a barrier or a pool may look again and again before it
 * sleeps, in microseconds. A wake-up costs two processes some 10 to 50 us, so a moment of looking
 * saves both sides much, where it has paid lately: who waits for what comes seldom sleeps at once,
 * and nobody who is idle keeps a CPU busy.
 *
 * 20 unless the environment's SPORK_SPIN_US says otherwise; at most 1 000; 0: none, for those who
 * count watts, or share their CPUs with others. Less than 0: the environment's again. With one CPU
 * nobody looks whatever is set.
 *
 * It is this process' own, and that of the children that it forks. Thread-safe.
 */
SPORK_API void spork_set_spin(int microseconds);

/* ---- about this library, this process, this machine ------------------------------------------------------------ */

/** The library's version, "0.1.0". Compare with SPORK_VERSION_NUMBER by spork_version_number(). */
SPORK_API const char *spork_version(void);
/** The same of the library that runs: may be newer than the headers. Thread-safe. */
SPORK_API int spork_version_number(void);

/** This process' id, as the system has it now (never cached: right after any kind of fork). */
SPORK_API int spork_getpid(void);

/** The id of the process that started this one; on Windows it may have ended, and its number be reused, since. */
SPORK_API int spork_getppid(void);

/**
 * The plain fork of the system: returns twice, 0 in the child, the child's id in the parent, -1 on failure.
 *
 * The child gets a copy of everything, is nobody's Spork child (no join, it outlives its parent), may itself start
 * processes, and must not use the parent's process objects (SPORK_NOT_YOURS). stdout and stderr are flushed before, so
 * that no line appears twice.
 *
 * Platform: where there is no fork (Windows) -1 with SPORK_UNSUPPORTED, and a sentence that shows the way out.
 */
SPORK_API int spork_fork(void);

/**
 * How many CPUs this process may use: the least of the machine's count, its affinity mask and its cgroup's CPU quota
 * (v1 and v2, rounded up), or of the affinity mask on Windows. At least 1; looked up at every call.
 */
SPORK_API int spork_cpu_count(void);

/**
 * Why spork_cpu_count() says so, as one sentence: "2 CPUs: the machine has 8, the affinity mask allows 4, …".
 * Writes at most `size` bytes including the end; a longer sentence is cut.
 * @return the count, as spork_cpu_count().
 */
SPORK_API int spork_cpu_count_why(char *text, size_t size);

/** Seconds of a clock that only goes forward and has no date; for measuring. Alike in all processes of one machine. */
SPORK_API double spork_time(void);

/**
 * Sleeps at least `ms` milliseconds; signals do not cut it short. SPORK_FOREVER: until the process ends; another
 * negative number: not at all.
 */
SPORK_API void spork_sleep(int ms);

#ifdef __cplusplus
}
#endif
#endif
