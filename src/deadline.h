/* How long a call may still wait. The clock is asked only when there is something to wait for. */
#ifndef SPORK_DEADLINE_H
#define SPORK_DEADLINE_H

#include "platform.h"

typedef struct spork__deadline {
    int timeout_ms; /* as the user said: negative for ever, 0 only looks */
    uint64_t until; /* 0: the clock has not been asked yet */
} spork__deadline;

/* Milliseconds that are left, rounded up; 0: none; SPORK_FOREVER. */
static inline int spork__deadline_left(spork__deadline *d)
{
    if (d->timeout_ms <= 0) return d->timeout_ms < 0 ? SPORK_FOREVER : 0;
    uint64_t now = spork__os_now();
    if (d->until == 0) d->until = now + (uint64_t)d->timeout_ms * 1000000;
    return now >= d->until ? 0 : (int)((d->until - now + 999999) / 1000000);
}

#endif
