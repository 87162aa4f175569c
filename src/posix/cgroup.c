/* Control groups, where the kernel has them: the group of this process and all groups above it, whose limits all count. */
#include "os.h"

#include <stdio.h>
#include <string.h>

bool spork__file_read(const char *path, char *text, size_t size)
{
    FILE *f = spork__sys_fopen(path, "re");
    if (f == NULL) return false;
    size_t n = spork__sys_fread(text, 1, size - 1, f);
    spork__sys_fclose(f);
    text[n] = 0;
    return n > 0;
}

/* The group and all above it, up to the mount. In a container the path of /proc/self/cgroup may be the host's and not exist
 * here; then the mount itself is the group. */
static void visit_path(const char *mount, const char *group, bool v2, spork__cgroup_visit *visit, void *user)
{
    char directory[1024];
    snprintf(directory, sizeof directory, "%s%s", mount, strcmp(group, "/") == 0 ? "" : group);
    for (size_t end = strlen(directory), stop = strlen(mount); end >= stop;) {
        directory[end] = 0;
        visit(directory, v2, user);
        if (end == stop) break;
        while (end > stop && directory[end] != '/') end--;
    }
}

static bool names(const char *controllers, const char *wanted)
{
    size_t length = strlen(wanted);
    for (const char *at = controllers; (at = strstr(at, wanted)) != NULL; at += length)
        if ((at == controllers || at[-1] == ',') && (at[length] == 0 || at[length] == ',')) return true;
    return false;
}

void spork__cgroups(const char *root, const char *controller, spork__cgroup_visit *visit, void *user)
{
    char path[512], line[1024], mount[512];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = spork__sys_fopen(path, "re");
    if (f == NULL) return;
    while (spork__sys_fgets(line, sizeof line, f) !=
           NULL) { /* "0::/a/b" (v2) or "4:cpu,cpuacct:/a/b" (v1) */
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':'), *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL) continue;
        *group++ = 0;
        controllers++;
        if (*controllers == 0) {
            snprintf(mount, sizeof mount, "%.400s/sys/fs/cgroup", root);
            visit_path(mount, group, true, visit, user);
        } else if (names(controllers, controller)) {
            snprintf(mount, sizeof mount, "%.200s/sys/fs/cgroup/%.200s", root, controllers);
            visit_path(mount, group, false, visit, user);
            snprintf(mount, sizeof mount, "%.400s/sys/fs/cgroup/%.20s", root, controller);
            visit_path(mount, group, false, visit, user);
        }
    }
    spork__sys_fclose(f);
}
