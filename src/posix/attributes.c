/* What a process has from the one that started it, at the moment of the start, whatever the method:
 *
 *     rights        users, groups, capabilities, no-new-privileges, system call filters, namespaces,
 *                   the root directory
 *     settings      umask, limits, processors and memory nodes, nice value and scheduling, priority of
 *                   its input and output, personality, timer slack, the score of the memory killer,
 *                   control groups, process group and session
 *     surroundings  working directory, environment; and standard streams, which are sent with each
 *                   request, so that a server keeps none of them open
 *
 * fork copies all of these, and spawn hands them down (but for capabilities that an exec gives back to
 * root, if they were not taken from the bounding set, too). A fork server was started once: what has changed
 * since it has not. So before each start through it the present ones are compared with those of the
 * moment in which it was started, and another server takes its place if they differ. As numbers, for
 * they are only compared.
 *
 * The kernel tells the most in one text, of the calling thread, since that is what a fork would copy.
 * Where there is no /proc on Linux no server can be trusted. On other systems umask is not
 * compared: it can only be asked for by being changed, which another thread's new file could come
 * between. */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"

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
    int count = getgroups(0, NULL);
    gid_t *groups = count > 0 ? spork__alloc((size_t)count * sizeof *groups, "groups") : NULL;
    hash = mix_number(mix_number(hash, (long)getuid()), (long)geteuid());
    hash = mix_number(mix_number(hash, (long)getgid()), (long)getegid());
    if (groups != NULL && getgroups(count, groups) == count)
        hash = mix(hash, groups, (size_t)count * sizeof *groups);
    spork__free(groups);
    return mix_number(hash, count);
}

/* What is no limit here, or cannot be asked for, counts as none for both. The system's type for their
 * names is an int, or not. */
#define MIX_LIMIT(hash, which)                                                                     \
    do {                                                                                           \
        struct rlimit limit = {0, 0};                                                              \
        getrlimit(which, &limit);                                                                  \
        hash = mix(hash, &limit, sizeof limit);                                                    \
    } while (0)

static uint64_t mix_limits(uint64_t hash)
{
    MIX_LIMIT(hash, RLIMIT_CORE);
    MIX_LIMIT(hash, RLIMIT_CPU);
    MIX_LIMIT(hash, RLIMIT_DATA);
    MIX_LIMIT(hash, RLIMIT_FSIZE);
    MIX_LIMIT(hash, RLIMIT_NOFILE);
    MIX_LIMIT(hash, RLIMIT_STACK);
    MIX_LIMIT(hash, RLIMIT_AS);
#ifdef RLIMIT_NPROC
    MIX_LIMIT(hash, RLIMIT_NPROC);
#endif
#ifdef RLIMIT_MEMLOCK
    MIX_LIMIT(hash, RLIMIT_MEMLOCK);
#endif
#ifdef __linux__
    MIX_LIMIT(hash, RLIMIT_LOCKS);
    MIX_LIMIT(hash, RLIMIT_SIGPENDING);
    MIX_LIMIT(hash, RLIMIT_MSGQUEUE);
    MIX_LIMIT(hash, RLIMIT_NICE);
    MIX_LIMIT(hash, RLIMIT_RTPRIO);
    MIX_LIMIT(hash, RLIMIT_RTTIME);
#endif
    return hash;
}

#ifdef __linux__

/* A file that is not there, or not to be read, is so for the other, too; but a lack of descriptors or
 * memory says nothing. */
static int open_in(spork__attributes *now, int directory, const char *name, int flags)
{
    int fd = spork__sys_openat(directory, name, flags | O_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) now->unknown = errno;
    return fd;
}

static ssize_t read_some(int fd, char *text, size_t size)
{
    ssize_t n = fd >= 0 ? spork__sys_read(fd, text, size) : 0;
    if (n <= 0 && fd >= 0) spork__sys_close(fd);
    return n;
}

static uint64_t mix_text(spork__attributes *now, uint64_t hash, int directory, const char *name)
{
    char text[1024];
    int fd = open_in(now, directory, name, O_RDONLY);
    for (ssize_t n; (n = read_some(fd, text, sizeof text)) > 0;) hash = mix(hash, text, (size_t)n);
    return hash;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strncmp(name, *names, strlen(*names)) == 0) return true;
    return false;
}

/* Lines of "Name: value", of which some may be long. */
typedef struct status_line {
    char name[24];
    size_t length;
    bool named, rights, settings;
} status_line;

static void mix_character(spork__attributes *now, status_line *line, char c)
{
    static const char *const rights[] = {"Uid:",        "Gid:",    "Groups:", "Cap",
                                         "NoNewPrivs:", "Seccomp", NULL};
    static const char *const settings[] = {"Umask:", "Cpus_allowed:", "Mems_allowed:", NULL};
    if (c == '\n') {
        memset(line, 0, sizeof *line);
    } else if (line->named) {
        if (line->rights) now->rights = mix(now->rights, &c, 1);
        if (line->settings) now->settings = mix(now->settings, &c, 1);
    } else if (line->length < sizeof line->name - 1) {
        line->name[line->length++] = c;
        line->named = c == ':';
        line->rights = line->named && is_one_of(line->name, rights);
        line->settings = line->named && is_one_of(line->name, settings);
    }
}

static void mix_status(spork__attributes *now, int directory)
{
    char text[4096];
    status_line line = {0};
    int fd = open_in(now, directory, "status", O_RDONLY);
    for (ssize_t n; (n = read_some(fd, text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < n; i++) mix_character(now, &line, text[i]);
}

static uint64_t mix_namespaces(uint64_t hash, int directory)
{
    static const char *const names[] = {
        "ns/user",   "ns/pid_for_children", "ns/mnt", "ns/net", "ns/ipc", "ns/uts",
        "ns/cgroup", "ns/time_for_children"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char which[64];
        ssize_t n = readlinkat(directory, names[i], which, sizeof which);
        hash = mix(hash, which, n > 0 ? (size_t)n : 0);
    }
    return hash;
}

/* Looked up once, and not for each of its files; of no process, where it is not there. */
static int open_own_directory(spork__attributes *now)
{
    int directory = open_in(now, AT_FDCWD, "/proc/thread-self", O_PATH | O_DIRECTORY);
    return directory >= 0 ? directory : open_in(now, AT_FDCWD, "/proc/self", O_PATH | O_DIRECTORY);
}

static void mix_files(spork__attributes *now)
{
    int directory = open_own_directory(now);
    if (directory < 0) { /* capabilities, filters, namespaces: nothing else tells of all of them */
        now->unknown = errno;
        return;
    }
    mix_status(now, directory);
    now->rights = mix_namespaces(now->rights, directory);
    /* A label of SELinux, of AppArmor. */
    now->rights = mix_text(now, now->rights, directory, "attr/current");
    now->settings = mix_text(now, now->settings, directory, "oom_score_adj");
    now->settings = mix_text(now, now->settings, directory, "cgroup");
    spork__sys_close(directory);
}

static void mix_linux(spork__attributes *now)
{
    enum { IOPRIO_OF_PROCESS = 1 };
    struct sched_param parameters = {0};
    mix_files(now);
    now->rights = mix_number(now->rights, prctl(PR_GET_SECUREBITS));
    uint64_t hash = mix_number(now->settings, sched_getscheduler(0));
    sched_getparam(0, &parameters);
    hash = mix_number(hash, parameters.sched_priority);
    hash = mix_number(hash, syscall(SYS_ioprio_get, IOPRIO_OF_PROCESS, 0));
    hash = mix_number(hash, personality(0xffffffff));
    now->settings = mix_number(hash, prctl(PR_GET_TIMERSLACK));
}

#else
static void mix_linux(spork__attributes *now) { (void)now; }
#endif

static uint64_t mix_surroundings(uint64_t hash)
{
    char directory[PATH_MAX];
    struct stat about;
    hash = mix_file(hash, stat(".", &about), &about);
    if (getcwd(directory, sizeof directory) != NULL) hash = mix(hash, directory, strlen(directory));
    for (char **e = environ; e != NULL && *e != NULL; e++) hash = mix(hash, *e, strlen(*e) + 1);
    return hash;
}

void spork__attributes_now(spork__attributes *now)
{
    static const uint64_t begin = 0xcbf29ce484222325u;
    struct stat root;
    now->unknown = 0;
    now->rights = mix_ids(mix_file(begin, stat("/", &root), &root));
    now->settings = mix_number(mix_limits(begin), getpriority(PRIO_PROCESS, 0));
    now->settings = mix_number(mix_number(now->settings, getpgrp()), getsid(0));
    mix_linux(now);
    now->settings = mix_surroundings(now->settings);
}

bool spork__attributes_may_look_at(int pid)
{
    char path[64], file[8];
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    return readlink(path, file, sizeof file) >= 0;
}
