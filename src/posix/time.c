#include "os.h"

#include <sched.h>
#include <time.h>

uint64_t spork__os_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void spork__os_yield(void) { sched_yield(); }

void spork__os_nap(void)
{
    static const struct timespec moment = {0, 30000}; /* and what the timer adds, 50 us on Linux */
    spork__sys_nanosleep(&moment, NULL);              /* a signal may end it */
}

void spork__os_sleep(int ms)
{
    struct timespec left;
    left.tv_sec = ms < 0 ? INT32_MAX : ms / 1000;
    left.tv_nsec = ms < 0 ? 0 : ms % 1000 * 1000000L;
    while (spork__sys_nanosleep(&left, &left) != 0 && errno == EINTR) {}
}
