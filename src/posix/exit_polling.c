/* The end of our own children where nothing becomes readable at it. There is no sentinel here. */
#include "exit_shared.h"

spork_native spork__exit_open(int pid)
{
    (void)pid;
    return SPORK__NO_HANDLE;
}

spork_status spork__exit_wait(const spork__child *child, int timeout_ms)
{
    return spork__exit_wait_by_number(child, timeout_ms);
}
spork_status spork__exit_reap(spork__child *child, spork__end *end) { return spork__exit_reap_by_number(child, end); }
spork_status spork__exit_signal(spork__child *child, int number) { return spork__exit_signal_by_number(child, number); }

int spork__exit_open_for_others(int pid) { return (void)pid, -1; }
bool spork__exit_told(int handle, spork__end *end) { return (void)handle, (void)end, false; }
bool spork__exit_signal_by(int handle, int number) { return (void)handle, (void)number, false; }
