/* Any text in the files that tell of control groups and of memory: how many CPUs and how much memory follow is in bounds, and only groups below
 * the mount are looked at. An input is the files' contents one after another, with a byte 0x1E between them; an empty one is not there. */
#include "os.h" /* first: what it needs of the system, we need */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base.h"
#include "expect.h"

enum { SEPARATOR = 0x1E, MOST = 4096 };

typedef struct file {
    const char *path;
    char text[MOST];
    size_t size;
} file;

static file files[] = {{.path = "proc/self/cgroup"},
                       {.path = "proc/meminfo"},
                       {.path = "sys/fs/cgroup/cpu.max"},
                       {.path = "sys/fs/cgroup/memory.max"},
                       {.path = "sys/fs/cgroup/memory.current"},
                       {.path = "sys/fs/cgroup/memory.stat"},
                       {.path = "sys/fs/cgroup/cpu/cpu.cfs_quota_us"},
                       {.path = "sys/fs/cgroup/cpu/cpu.cfs_period_us"},
                       {.path = "sys/fs/cgroup/memory/memory.limit_in_bytes"},
                       {.path = "sys/fs/cgroup/memory/memory.usage_in_bytes"},
                       {.path = "sys/fs/cgroup/memory/memory.stat"}};
enum { FILES = sizeof files / sizeof *files };

static char root[256], home[256];

static void remove_root(void)
{
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    if (strstr(root, "/spork-fuzz-") == NULL || system(command) != 0) fprintf(stderr, "%s is left behind\n", root);
}

static void make_root(void)
{
    static const char *const folders[] = {"proc", "proc/self", "sys", "sys/fs", "sys/fs/cgroup", "sys/fs/cgroup/cpu",
                                          "sys/fs/cgroup/memory"};
    struct stat about;
    const char *where = stat("/dev/shm", &about) == 0 && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(root, sizeof root, "%s/spork-fuzz-XXXXXX", where);
    EXPECT(mkdtemp(root) != NULL);
    atexit(remove_root);
    EXPECT(getcwd(home, sizeof home) != NULL && chdir(root) == 0);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) EXPECT(mkdir(folders[i], 0700) == 0);
    EXPECT(chdir(home) == 0);
}

/* As few system calls as may be: most inputs differ from the last in one file. */
static void put(file *f, const char *text, size_t size)
{
    char path[400];
    if (size > MOST) size = MOST;
    if (f->size == size && (size == 0 || memcmp(f->text, text, size) == 0)) return;
    snprintf(path, sizeof path, "%s/%s", root, f->path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    EXPECT(fd >= 0 && (size == 0 || write(fd, text, size) == (ssize_t)size));
    close(fd);
    if (size > 0) memcpy(f->text, text, size);
    f->size = size;
}

static void expect_inside(const char *directory, bool v2, void *user)
{
    char mount[400];
    (void)v2;
    snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
    EXPECT(strncmp(directory, mount, strlen(mount)) == 0 && strlen(directory) < 1024);
    ++*(unsigned *)user;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[1024];
    unsigned visited = 0;
    const char *at = (const char *)data;
    if (root[0] == 0) make_root();
    for (int i = 0; i < FILES; i++) {
        const char *end = size > 0 ? memchr(at, SEPARATOR, size) : NULL;
        size_t length = end != NULL ? (size_t)(end - at) : size;
        put(&files[i], at, length);
        at += length + (end != NULL);
        size -= length + (end != NULL);
    }
    memset(why, 0x5A, sizeof why);
    int count = spork__cpu_count(root, why, sizeof why);
    EXPECT(count >= 1 && count <= sysconf(_SC_NPROCESSORS_ONLN) && memchr(why, 0, sizeof why) != NULL);
    spork__memory_available(root);
    spork__cgroups(root, "cpu", expect_inside, &visited);
    EXPECT(visited <= 3 * MOST); /* each byte of a path is at most one group, in two places for the first version's */
    return 0;
}
