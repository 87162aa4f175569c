/* Threads that are cancelled (POSIX), and such that end in the middle of what they do. */
#ifndef HARNESS_CANCELS_H
#define HARNESS_CANCELS_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether this system cancels threads. */
bool cancels_there_are(void);

typedef struct cancels_thread cancels_thread;
/* Runs `call(user)` in a thread of the system's. */
cancels_thread *cancels_begin(int (*call)(void *user), void *user);
void cancels_cancel(cancels_thread *thread);
/* Waits for its end, and frees it. False: it was cancelled; else *result is the call's. */
bool cancels_join(cancels_thread *thread, int *result);

/* Of the calling thread: from its next cancellation point on. */
void cancels_cancel_self(void);
void cancels_test(void);
void cancels_disable(void);

/* Waits for ever with its lock held, and releases that in a cleanup handler; *released: what that
 * gave. */
spork_status cancels_wait_for_condition(spork_condition *condition, spork_status *released);

/* Ends the calling thread, whoever called this. */
void cancels_exit(void);
/* Targets of threads and tasks. They should not return. */
int cancels_exit_target(const spork_args *args);             /* … */
int cancels_wait_target(const spork_args *args);             /* …: cancels itself, and sleeps */
int cancels_exit_task(const spork_args *args, spork_task *); /* … */
int cancels_exit_with_memory(const spork_args *args,
                             spork_task *task); /* …: has 16 MiB, for its result, too */

#ifdef __cplusplus
}
#endif
#endif
