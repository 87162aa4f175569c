/* The end of what this process has started, in order: what is above (registered here), threads, processes, and what served them. */
#ifndef SPORK_SHUTDOWN_H
#define SPORK_SHUTDOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Called by spork_shutdown when the threads have ended, before processes are waited for. Once for each function; must do nothing in a process that
 * it does not concern. */
void spork__at_shutdown(void (*fn)(void));

/* Whether this thread is in spork_shutdown, or was: the one by which the program ends. */
bool spork__ends_here(void);

/* One wait at the end: the first two seconds in silence, then it is told for whom; within SPORK_EXIT_WAIT_MS, over all such waits. */
typedef struct spork__last_wait {
    uint64_t begin; /* set by who makes it */
    bool told;
} spork__last_wait;
/* How long to sleep now, while `name` still runs (`pid` 0: has none); 0: the time is over, and that was said. */
int spork__last_wait_ms(spork__last_wait *wait, const char *name, int pid);

#ifdef __cplusplus
}
#endif
#endif
