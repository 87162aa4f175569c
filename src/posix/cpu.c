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

static bool read_file(const char *path, char *text, size_t size)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) return false;
    size_t n = fread(text, 1, size - 1, f);
    fclose(f);
    text[n] = 0;
    return n > 0;
}

/* v2: "150000 100000" or "max 100000"; v1: two files, a quota of -1 is none. 0: no quota. */
static double quota_of_group(const char *directory, bool v2, char *path, size_t size)
{
    char text[128], period[128];
    long long quota_us = 0, period_us = 0;
    snprintf(path, size, v2 ? "%s/cpu.max" : "%s/cpu.cfs_quota_us", directory);
    if (!read_file(path, text, sizeof text)) return 0;
    if (v2) {
        if (sscanf(text, "%lld %lld", &quota_us, &period_us) != 2) return 0;
    } else {
        char period_path[1200];
        snprintf(period_path, sizeof period_path, "%s/cpu.cfs_period_us", directory);
        if (!read_file(period_path, period, sizeof period)) return 0;
        quota_us = strtoll(text, NULL, 10);
        period_us = strtoll(period, NULL, 10);
    }
    return quota_us > 0 && period_us > 0 ? (double)quota_us / (double)period_us : 0;
}

/* The group and all above it, up to the mount. In a container the path of /proc/self/cgroup may be the host's and not exist
 * here; then the mount itself is the group. */
static void quota_of_path(const char *mount, const char *group, bool v2, spork__cpus *cpus)
{
    char directory[1024], path[1100];
    snprintf(directory, sizeof directory, "%s%s", mount, strcmp(group, "/") == 0 ? "" : group);
    for (size_t end = strlen(directory), stop = strlen(mount); end >= stop;) {
        directory[end] = 0;
        double quota = quota_of_group(directory, v2, path, sizeof path);
        if (quota > 0 && (cpus->quota <= 0 || quota < cpus->quota)) {
            cpus->quota = quota;
            snprintf(cpus->quota_file, sizeof cpus->quota_file, "%.*s", (int)sizeof cpus->quota_file - 1, path);
        }
        if (end == stop) break;
        while (end > stop && directory[end] != '/') end--;
    }
}

static bool names_cpu(const char *controllers)
{
    for (const char *at = controllers; (at = strstr(at, "cpu")) != NULL; at += 3)
        if ((at == controllers || at[-1] == ',') && (at[3] == 0 || at[3] == ',')) return true;
    return false;
}

static void quota(const char *root, spork__cpus *cpus)
{
    char path[512], line[1024], mount[512];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    if (f == NULL) return;
    while (fgets(line, sizeof line, f) != NULL) { /* "0::/a/b" (v2) or "4:cpu,cpuacct:/a/b" (v1) */
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':'), *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL) continue;
        *group++ = 0;
        controllers++;
        if (*controllers == 0) {
            snprintf(mount, sizeof mount, "%.400s/sys/fs/cgroup", root);
            quota_of_path(mount, group, true, cpus);
        } else if (names_cpu(controllers)) {
            snprintf(mount, sizeof mount, "%.200s/sys/fs/cgroup/%.200s", root, controllers);
            quota_of_path(mount, group, false, cpus);
            snprintf(mount, sizeof mount, "%.400s/sys/fs/cgroup/cpu", root);
            quota_of_path(mount, group, false, cpus);
        }
    }
    fclose(f);
}

void spork__os_cpus(const char *root, spork__cpus *cpus)
{
    memset(cpus, 0, sizeof *cpus);
    cpus->online = (int)sysconf(_SC_NPROCESSORS_ONLN);
    cpus->affinity = affinity();
    quota(root, cpus);
}
