/* How many CPUs: online, by affinity, by cgroup quota. The quota is looked up as the kernel nests it: the least of this
 * process' group and all groups above it. */
#include "os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if SPORK_HAVE_SCHED_GETAFFINITY
#include <sched.h>
#endif

static int affinity(void)
{
#if SPORK_HAVE_SCHED_GETAFFINITY
    size_t size = CPU_ALLOC_SIZE(8192); /* more than any machine has */
    cpu_set_t *set = CPU_ALLOC(8192);
    int count = 0;
    if (set != NULL && sched_getaffinity(0, size, set) == 0) count = CPU_COUNT_S(size, set);
    if (set != NULL) CPU_FREE(set);
    return count;
#else
    return 0;
#endif
}

/* v2: "150000 100000" or "max 100000"; v1: two files, a quota of -1 is none. 0: no quota. */
static double quota_of_group(const char *directory, bool v2, char *path, size_t size)
{
    char text[128], period[128];
    long long quota_us = 0, period_us = 0;
    snprintf(path, size, v2 ? "%s/cpu.max" : "%s/cpu.cfs_quota_us", directory);
    if (!spork__file_read(path, text, sizeof text)) return 0;
    if (v2) {
        if (sscanf(text, "%lld %lld", &quota_us, &period_us) != 2) return 0;
    } else {
        char period_path[1200];
        snprintf(period_path, sizeof period_path, "%s/cpu.cfs_period_us", directory);
        if (!spork__file_read(period_path, period, sizeof period)) return 0;
        quota_us = strtoll(text, NULL, 10);
        period_us = strtoll(period, NULL, 10);
    }
    return quota_us > 0 && period_us > 0 ? (double)quota_us / (double)period_us : 0;
}

static void least_quota(const char *directory, bool v2, void *user)
{
    spork__cpus *cpus = user;
    char path[1100];
    double quota = quota_of_group(directory, v2, path, sizeof path);
    if (quota <= 0 || (cpus->quota > 0 && quota >= cpus->quota)) return;
    cpus->quota = quota;
    snprintf(cpus->quota_file, sizeof cpus->quota_file, "%.*s", (int)sizeof cpus->quota_file - 1, path);
}

void spork__os_cpus(const char *root, spork__cpus *cpus)
{
    memset(cpus, 0, sizeof *cpus);
    cpus->online = (int)sysconf(_SC_NPROCESSORS_ONLN);
    cpus->affinity = affinity();
    spork__cgroups(root, "cpu", least_quota, cpus);
}
