/* The timeline of pools: the environment's SPORK_TRACE names a file, in the format of Chrome's tracing. Each function does nothing if there is none. */
#ifndef SPORK_TRACE_H
#define SPORK_TRACE_H

#include <spork/base.h>

#ifdef __cplusplus
extern "C" {
#endif

bool spork__trace_is_on(void);
/* A row, named; a span on it, of times of spork__os_now; a mark, now. `worker`: its place. */
void spork__trace_worker(const char *pool, unsigned worker, int pid);
void spork__trace_task(const char *pool, unsigned worker, uint64_t began, uint64_t ended, uint64_t task,
                       unsigned attempt, spork_status status);
void spork__trace_mark(const char *pool, unsigned worker, const char *what, uint64_t task, unsigned attempt);
/* What has been written so far reaches the file. */
void spork__trace_flush(void);

#ifdef __cplusplus
}
#endif
#endif
