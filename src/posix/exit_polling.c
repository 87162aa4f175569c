/* The end of our own children where nothing becomes readable at it: asked for again and again, less often the longer it takes.
 * There is no sentinel here. */
#include "exit_shared.h"

spork_native spork__exit_open(int pid)
{
    (void)pid;
    return SPORK__NO_HANDLE;
}

spork_status spork__exit_wait(const spork__child *child, int timeout_ms)
{
    uint64_t begin = spork__os_now();
    for (int spins = 0;; spins++) {
        if (spork__exit_look(child->pid) != 0) return SPORK_OK;
        uint64_t waited = (spork__os_now() - begin) / 1000000;
        if (timeout_ms >= 0 && waited >= (uint64_t)timeout_ms) return SPORK_TIMEOUT;
        uint64_t pause = 1 + waited / 10; /* a tenth late at most, ten milliseconds at most */
        if (pause > 10) pause = 10;
        if (timeout_ms >= 0 && pause > (uint64_t)timeout_ms - waited) pause = (uint64_t)timeout_ms - waited;
        spork__os_sleep((int)pause);
    }
}

spork_status spork__exit_reap(spork__child *child, spork__end *end) { return spork__exit_reap_by_number(child, end); }
spork_status spork__exit_signal(spork__child *child, int number) { return spork__exit_signal_by_number(child, number); }
