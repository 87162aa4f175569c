/* The library's locks, and what keeps them and what they protect whole across a fork, whoever forks: all are taken before
 * it and released after it on both sides. */
#include "os.h"

#include <pthread.h>

static pthread_mutex_t locks[SPORK__LOCKS] = {
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
    PTHREAD_MUTEX_INITIALIZER,
};
_Static_assert(SPORK__LOCKS == 9, "an initialiser for each");

static _Thread_local unsigned held;   /* by this thread, a bit each */
static _Thread_local unsigned forked; /* those that the fork handler took */
static void (*call_in_child)(void);

void spork__os_lock(spork__lock lock)
{
    pthread_mutex_lock(&locks[lock]);
    held |= 1u << lock;
}

void spork__os_unlock(spork__lock lock)
{
    held &= ~(1u << lock);
    pthread_mutex_unlock(&locks[lock]);
}

bool spork__os_holds_a_lock(void) { return held != 0; }

unsigned spork__os_lock_all(void)
{
    unsigned before = held;
    for (int i = 0; i < SPORK__LOCKS; i++)
        if (!(held & 1u << i)) spork__os_lock((spork__lock)i);
    return held & ~before;
}

void spork__os_unlock_all(unsigned which)
{
    for (int i = SPORK__LOCKS; i-- > 0;)
        if (held & which & 1u << i) spork__os_unlock((spork__lock)i);
}

static void before_fork(void) { forked = spork__os_lock_all(); }

static void after_fork(void)
{
    spork__os_unlock_all(forked);
    forked = 0;
}

static void after_fork_in_child(void)
{
    /* None of them is here; and who does not write copies no page. */
    if (spork__own_threads != 0) spork__own_threads = 0;
    if (call_in_child != NULL) call_in_child();
    after_fork();
}

spork_status spork__os_at_fork(void (*in_child)(void))
{
    if (call_in_child != NULL) return SPORK_OK;
    int code = pthread_atfork(before_fork, after_fork, after_fork_in_child);
    if (code != 0) return spork__fail_os(code, "the fork handlers cannot be registered");
    call_in_child = in_child;
    return SPORK_OK;
}
