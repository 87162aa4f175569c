/* What a process has from the one that started it, at the moment of the start, whatever the method:
 *
 *     rights        users, groups, capabilities, no-new-privileges, system call filters, namespaces,
 *                   the root directory
 *     settings      umask, limits, processors and memory nodes, nice value and scheduling, priority of
 *                   its input and output, personality, timer slack, the score of the memory killer,
 *                   control groups, process group and session
 *     surroundings  working directory, environment, standard streams
 *
 * fork copies all of these, and spawn hands them down. A fork server was started once: what has changed
 * since it has not. So before each start through it the present ones are compared with those of the
 * moment in which it was started, and another server takes its place if they differ. As numbers, for
 * they are only compared.
 *
 * The kernel tells the most in one text, of the calling thread, since that is what a fork would copy.
 * Where there is no /proc, and on other systems, umask and filters are not compared: umask can
 * only be asked for by being changed, which another thread's new file could come between. */
#include "os.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

extern char **environ;

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    for (const unsigned char *at = data; size > 0; size--)
        hash = (hash ^ *at++) * 0x100000001b3u; /* FNV-1a */
    return hash;
}

static uint64_t mix_number(uint64_t hash, long number) { return mix(hash, &number, sizeof number); }

/* Which file that is; 0 if it is none. */
static uint64_t mix_file(uint64_t hash, int result, const struct stat *about)
{
    uint64_t id[2] = {0, 0};
    if (result == 0) id[0] = (uint64_t)about->st_dev, id[1] = (uint64_t)about->st_ino;
    return mix(hash, id, sizeof id);
}

static uint64_t mix_ids(uint64_t hash)
{
    gid_t groups[1024];
    int count = getgroups((int)(sizeof groups / sizeof *groups), groups);
    hash = mix_number(mix_number(hash, (long)getuid()), (long)geteuid());
    hash = mix_number(mix_number(hash, (long)getgid()), (long)getegid());
    return count > 0 ? mix(hash, groups, (size_t)count * sizeof *groups) : mix_number(hash, count);
}

static uint64_t mix_limits(uint64_t hash)
{
    static const int limits[] = {
        RLIMIT_CORE,    RLIMIT_CPU,        RLIMIT_DATA,     RLIMIT_FSIZE,
        RLIMIT_NOFILE,  RLIMIT_STACK,      RLIMIT_AS,
#ifdef RLIMIT_NPROC
        RLIMIT_NPROC,
#endif
#ifdef RLIMIT_MEMLOCK
        RLIMIT_MEMLOCK,
#endif
#ifdef __linux__
        RLIMIT_LOCKS,   RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_NICE,
        RLIMIT_RTPRIO,  RLIMIT_RTTIME,
#endif
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit limit = {0, 0};
        getrlimit(limits[i], &limit); /* a fault only makes it look changed */
        hash = mix(hash, &limit, sizeof limit);
    }
    return hash;
}

#ifdef __linux__

/* The beginning of a small file, as text; its size, 0 if it cannot be read. */
static size_t read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, size - 1) : 0;
    if (fd >= 0) close(fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

static uint64_t mix_text(uint64_t hash, const char *path)
{
    char text[1024];
    return mix(hash, text, read_text(path, text, sizeof text));
}

static bool is_one_of(const char *line, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strncmp(line, *names, strlen(*names)) == 0) return true;
    return false;
}

static void mix_status(spork__attributes *now)
{
    static const char *const rights[] = {"Uid:",        "Gid:",    "Groups:", "Cap",
                                         "NoNewPrivs:", "Seccomp", NULL};
    static const char *const settings[] = {"Umask:", "Cpus_allowed:", "Mems_allowed:", NULL};
    char text[8192];
    if (read_text("/proc/thread-self/status", text, sizeof text) == 0 &&
        read_text("/proc/self/status", text, sizeof text) == 0)
        return;
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        size_t size = (size_t)(end - line);
        if (is_one_of(line, rights)) now->rights = mix(now->rights, line, size);
        if (is_one_of(line, settings)) now->settings = mix(now->settings, line, size);
    }
}

static uint64_t mix_namespaces(uint64_t hash)
{
    static const char *const names[] = {"/proc/self/ns/user",   "/proc/self/ns/pid_for_children",
                                        "/proc/self/ns/mnt",    "/proc/self/ns/net",
                                        "/proc/self/ns/ipc",    "/proc/self/ns/uts",
                                        "/proc/self/ns/cgroup", "/proc/self/ns/time_for_children"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct stat about;
        hash = mix_file(hash, stat(names[i], &about), &about);
    }
    return hash;
}

static void mix_linux(spork__attributes *now)
{
    enum { IOPRIO_OF_PROCESS = 1 };
    struct sched_param parameters = {0};
    mix_status(now);
    now->rights = mix_namespaces(now->rights);
    now->rights = mix_number(now->rights, prctl(PR_GET_SECUREBITS));
    uint64_t hash = mix_number(now->settings, sched_getscheduler(0));
    sched_getparam(0, &parameters);
    hash = mix_number(hash, parameters.sched_priority);
    hash = mix_number(hash, syscall(SYS_ioprio_get, IOPRIO_OF_PROCESS, 0));
    hash = mix_number(hash, personality(0xffffffff));
    hash = mix_number(hash, prctl(PR_GET_TIMERSLACK));
    hash = mix_text(hash, "/proc/self/oom_score_adj");
    now->settings = mix_text(hash, "/proc/self/cgroup");
}

#else
static void mix_linux(spork__attributes *now) { (void)now; }
#endif

static uint64_t mix_surroundings(uint64_t hash)
{
    char directory[PATH_MAX];
    struct stat about;
    for (int fd = 0; fd < 3; fd++) hash = mix_file(hash, fstat(fd, &about), &about);
    hash = mix_file(hash, stat(".", &about), &about);
    if (getcwd(directory, sizeof directory) != NULL) hash = mix(hash, directory, strlen(directory));
    for (char **e = environ; e != NULL && *e != NULL; e++) hash = mix(hash, *e, strlen(*e) + 1);
    return hash;
}

void spork__attributes_now(spork__attributes *now)
{
    static const uint64_t begin = 0xcbf29ce484222325u;
    struct stat root;
    now->rights = mix_ids(mix_file(begin, stat("/", &root), &root));
    now->settings = mix_number(mix_limits(begin), getpriority(PRIO_PROCESS, 0));
    now->settings = mix_number(mix_number(now->settings, getpgrp()), getsid(0));
    mix_linux(now);
    now->settings = mix_surroundings(now->settings);
}
