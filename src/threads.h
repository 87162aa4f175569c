/* Threads inside the library. */
#ifndef SPORK_SRC_THREAD_H
#define SPORK_SRC_THREAD_H

#include <spork/thread.h>

#include "shutdown.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The calling thread is this process' first: it called spork_init, or runs a child's target. */
void spork__thread_is_main(void);
/* Before its start: `fn(user)` is called in it when it has ended without returning. NULL is
 * fine. */
void spork__thread_at_cut_short(spork_thread *thread, void (*fn)(void *user), void *user);
/* In a forked child: it has this one thread. Async-signal-safe. */
void spork__threads_forked(void);
/* At the end of the process: waits for those that are no daemons. */
void spork__threads_join_all(spork__last_wait *wait);

#ifdef __cplusplus
}
#endif
#endif
