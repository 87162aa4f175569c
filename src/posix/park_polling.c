/* Where a system cannot sleep on shared memory: a sleeper looks every millisecond. */
#include "os.h"

spork_status spork__os_berth_new(spork_native *berth)
{
    *berth = SPORK__NO_HANDLE;
    return SPORK_OK;
}

void spork__os_berth_quiet(spork_native berth) { (void)berth; }

void spork__os_park(const void *word, uint32_t expected, spork_native berth, int ms)
{
    (void)word, (void)expected, (void)berth;
    if (ms > 0) spork__os_sleep(1);
}

bool spork__os_unpark(const void *word, spork_native berth, bool all)
{
    (void)word, (void)berth, (void)all;
    return true;
}
