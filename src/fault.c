#include "fault.h"

#if SPORK_FAULTS

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

#else
typedef int spork__fault_unused; /* a translation unit may not be empty */
#endif
