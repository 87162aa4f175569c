/* A cancellation acts where a call has said what is to be given back: at what sleeps between
 * allow and forbid, and at these themselves. A futex is no point of the system's: who sleeps on one
 * does so for 50 ms at a time. */
#include "os.h"

#include <stdlib.h>

static _Thread_local const spork__cleanup *allowed;

static void clean_up(void *at)
{
    allowed = NULL; /* the handlers may wait for a lock */
    for (const spork__cleanup *handler = at; handler != NULL; handler = handler->outer)
        if (handler->fn != NULL) handler->fn(handler->user);
}

static void *handlers(void) { return (void *)(uintptr_t)allowed; }

static void test(void)
{
    pthread_cleanup_push(clean_up, handlers());
    pthread_testcancel();
    pthread_cleanup_pop(0);
}

void spork__os_cancel_allow(const spork__cleanup *cleanup)
{
    static const spork__cleanup nothing = {NULL, NULL, NULL};
#if SPORK_FAULTS
    if (spork__os_holds_a_lock()) abort();
#endif
    allowed = cleanup != NULL ? cleanup : &nothing;
    test();
}

void spork__os_cancel_forbid(void)
{
    if (allowed == NULL) return;
    test();
    allowed = NULL;
}

int spork__os_cancel_off(void)
{
    int before = PTHREAD_CANCEL_ENABLE;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}
void spork__os_cancel_restore(int before) { pthread_setcancelstate(before, &before); }

/* ---- what sleeps ---- */

int spork__sys_poll(struct pollfd *fds, nfds_t count, int ms)
{
    int n;
    if (allowed == NULL || ms == 0) {
        int before = spork__os_cancel_off();
        n = poll(fds, count, ms);
        spork__os_cancel_restore(before);
        return n;
    }
    pthread_cleanup_push(clean_up, handlers());
    n = poll(fds, count, ms);
    pthread_cleanup_pop(0);
    return n;
}

int spork__sys_nanosleep(const struct timespec *time, struct timespec *left)
{
    int result;
    if (allowed == NULL) {
        int before = spork__os_cancel_off();
        result = nanosleep(time, left);
        spork__os_cancel_restore(before);
        return result;
    }
    pthread_cleanup_push(clean_up, handlers());
    result = nanosleep(time, left);
    pthread_cleanup_pop(0);
    return result;
}
