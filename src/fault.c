#include "fault.h"

#if SPORK_FAULTS

#include <stdatomic.h>

#include "platform.h"

/* By thread: a test fails its own calls, not those of a watcher beside it. A forked child inherits what is armed. */
static _Thread_local struct {
    long nth, count;
    bool sticky;
} armed[SPORK__FAULT_DOORS];
static _Thread_local int armed_code;

void spork__fault_arm(spork__fault_door door, long nth, int code, bool sticky)
{
    armed[door].nth = nth;
    armed[door].count = 0;
    armed[door].sticky = sticky;
    armed_code = code;
}

long spork__fault_count(spork__fault_door door) { return armed[door].count; }

bool spork__fault(spork__fault_door door)
{
    long now = ++armed[door].count;
    if (armed[door].nth == 0) return false;
    return now == armed[door].nth || (armed[door].sticky && now > armed[door].nth);
}

int spork__fault_code(void) { return armed_code; }

static atomic_int deadly; /* of the whole process, which ends as a whole; a forked child inherits these too */
static atomic_long passes_left;
static atomic_int planted;

void spork__point_arm(spork__point point, long nth)
{
    atomic_store(&passes_left, nth);
    atomic_store(&deadly, (int)point);
}

void spork__at(spork__point point)
{
    if (atomic_load_explicit(&deadly, memory_order_relaxed) == (int)point && atomic_fetch_sub(&passes_left, 1) == 1)
        spork__os_kill_self();
}

void spork__plant(spork__bug bug) { atomic_store(&planted, (int)bug); }
bool spork__planted(spork__bug bug) { return atomic_load_explicit(&planted, memory_order_relaxed) == (int)bug; }

#else
typedef int spork__fault_unused; /* a translation unit may not be empty */
#endif
