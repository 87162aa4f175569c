/* What thread_test.cpp runs in threads, and in processes that have some. Their values are in the comments; they return 0 if all is
 * well. */
#ifndef SPORK_HARNESS_THREADS_H
#define SPORK_HARNESS_THREADS_H

#include "fault.h"
#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- targets of threads ---- */

/* there, go (events), code: sets the first, waits for the second, returns the code. */
int threads_hold(const spork_args *args);
/* barrier, go (event): arrives, waits for the event; returns its number at the barrier. */
int threads_meet(const spork_args *args);
/* semaphore: gives one. */
int threads_count(const spork_args *args);

/* What a thread sees of itself. */
typedef struct threads_sight {
    char name[128];       /* of spork_current_thread */
    spork_thread *thread; /* that */
    bool alive, listed;   /* listed: it is one of spork_active_threads */
    int exitcode;
    spork_status joins, starts; /* what joining and starting itself gives */
    char sentence[256];         /* of the join */
    spork_status found;         /* the thread's last status when it began, and that sentence */
    char found_sentence[256];
} threads_sight;
void threads_see(threads_sight *sight);
int threads_look(const spork_args *args); /* pointer to a threads_sight */
int threads_look_and_hold(
    const spork_args *args); /* the same; there, go (events); looks again after `go`, into the next one */

/* A thread that gets one of each kind of value; all of them, and their names, are gone when this returns. */
spork_thread *threads_with_values(void);
int threads_unpack_wrong(
    const spork_args *args); /* an int; pointer to a threads_sight: asks for a text, sees what it gets */
int threads_read_late(const spork_args *args); /* text, bytes, array; there, go: 0 if they are the same after `go` */

/* One of each kind of object. */
typedef struct threads_objects {
    spork_connection *connection;
    spork_queue *queue;
    spork_lock *lock;
    spork_rlock *rlock;
    spork_semaphore *semaphore;
    spork_event *event;
    spork_condition *condition;
    spork_barrier *barrier;
    spork_shm *shm;
} threads_objects;
/* pointer to a threads_objects, and all of them: 0 if they are the very same, and can be used. */
int threads_use_objects(const spork_args *args);
/* queue, keep (bool), pointer to a place for it: keeps it if it shall, and puts 7 into it. */
int threads_take_queue(const spork_args *args);
int threads_free_queue(const spork_args *args);  /* queue, bool keep: it frees it itself */
int threads_say(const spork_args *args);         /* connection, text, go (event): sends it, ends after `go` */
int threads_put_numbers(const spork_args *args); /* queue, count: puts so many ints, closes it */

/* A struct that is its own thread. */
typedef struct threads_self {
    int code;
    char text[16];
    const void **told; /* where its copy is, is written here */
} threads_self;
int threads_run(void *self, const spork_args *args); /* an int: returns the sum of both; changes its copy */

/* lock, rlock or condition; there, go (events) if it shall wait: takes it, and ends. */
int threads_end_with_lock(const spork_args *args);
int threads_end_with_rlock(const spork_args *args);
int threads_end_with_condition(const spork_args *args);
/* pointer to a bool: becomes true by what the system runs at the end of a thread, which takes its time. */
int threads_clean_up(const spork_args *args);

int threads_family(
    const spork_args *args); /* depth: starts two with depth - 1 and joins them; how many there are in all */
int threads_join_other(const spork_args *args); /* pointer to a thread: joins and frees it; its exit code */

/* ---- threads that start processes ---- */

int threads_start_process(const spork_args *args); /* code: of a process of its own, joined; returns its exit code */
int threads_check_main(
    const spork_args *args); /* (): in a process; 0 if it runs in its MainThread and there is no other */
int threads_start_checked(const spork_args *args); /* (): threads_check_main in a process of its own; its exit code */
/* place for a process (pointer), writer, barrier: starts target_hold, and ends without it. */
int threads_leave_process(const spork_args *args);

/* ---- processes that start threads ---- */

/* writer: the names of its main thread and of three that it starts, one a line. */
int threads_inside(const spork_args *args);
/* queue, lock, block (of an int), count: gives them to four threads, of which each adds 1 so often and puts 1 into the queue. */
int threads_share_inside(const spork_args *args);
/* writer, barrier, daemon (bool): starts a thread, writes "target." and returns 5. The thread writes "thread." at the barrier's end. */
int threads_left_inside(const spork_args *args);

/* ---- others ---- */

/* Threads of this process, as the system counts them; 0 where it does not tell. */
int threads_of_system(void);

/* A plain fork, in whose child neither thread may be used, and a new one works: 0, or which check failed. -1: there is no fork. */
int threads_fork(spork_thread *running, spork_thread *fresh);

/* A thread made and started while the n-th call through a door fails. If its start fails it is tried once more. */
typedef struct threads_fault {
    long calls; /* through the door */
    bool made, started;
    spork_status status; /* of what failed */
    char sentence[512];
    spork_status second; /* of the second start */
    int exitcode;        /* 7 */
} threads_fault;
threads_fault threads_start_under_fault(spork__fault_door door, long nth, int code);

/* ---- programs: how a program with threads ends; `how` is one of those in threads.c ---- */

int threads_scenario_end(const char *how);

#ifdef __cplusplus
}
#endif
#endif
