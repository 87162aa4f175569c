#include "os.h"

#include <string.h>

void spork__os_cpus(const char *root, spork__cpus *cpus)
{
    SYSTEM_INFO about;
    DWORD_PTR process = 0, machine = 0;
    (void)root;
    memset(cpus, 0, sizeof *cpus);
    DWORD all = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    GetSystemInfo(&about);
    cpus->online = (int)(all > about.dwNumberOfProcessors ? all : about.dwNumberOfProcessors);
    /* Of one group of 64 at most; a process on several groups has no mask (both are 0). */
    if (GetProcessAffinityMask(GetCurrentProcess(), &process, &machine))
        for (; process != 0; process &= process - 1) cpus->affinity++;
}
