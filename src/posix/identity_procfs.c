/* Which process a number means, on systems with Linux' /proc. */
#include "os.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "identity_procfs.h"

#if SPORK_HAVE_LIBC_SINGLE_THREADED
#include <sys/single_threaded.h>
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define PIDFS 0x50494446u
#define BY_PIDFS (UINT64_C(1) << 63) /* the number is an inode of pidfs, and not a start time */

/* Linux 6.9: a pidfd has an inode, whose number no other process has until the system is started anew; some ten times quicker to
 * ask for than /proc. 0: this kernel has none. */
static uint64_t pidfs_number(int fd)
{
    struct statfs system;
    struct stat about;
    if (fd < 0 || fstatfs(fd, &system) != 0 || (unsigned)system.f_type != PIDFS || fstat(fd, &about) != 0) return 0;
    return BY_PIDFS | (uint64_t)about.st_ino;
}

/* -1 with ENOSYS before Linux 5.3. */
static int pidfd_of(int pid)
{
#if SPORK_PORTABLE_POSIX
    (void)pid;
    errno = ENOSYS;
    return -1;
#else
    return (int)SPORK__SYS(syscall(SYS_pidfd_open, pid, 0));
#endif
}

bool spork__stat_parse(const char *text, spork__stat_line *line)
{
    const char *at = strrchr(text, ')'); /* of the name, which may hold spaces and brackets itself */
    memset(line, 0, sizeof *line);
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
        if (at != NULL && field + 1 == 3) line->state = at[1];
        if (at != NULL && field + 1 == 20) line->threads = strtoul(at + 1, NULL, 10);
    }
    if (at == NULL) return false;
    line->start = strtoull(at + 1, NULL, 10);
    return true;
}

/* "/proc/N/NAME"; false: there is none, or it is hidden. */
static bool read_proc(int pid, const char *name, char *text, size_t size)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = spork__fd_open(path, O_RDONLY);
    if (fd < 0) return false;
    ssize_t n;
    do n = SPORK__SYS(spork__sys_read(fd, text, size - 1));
    while (n < 0 && errno == EINTR);
    spork__sys_close(fd);
    if (n <= 0) return false;
    text[n] = 0;
    return true;
}

static bool read_stat(int pid, spork__stat_line *line)
{
    char text[1024];
    return read_proc(pid, "stat", text, sizeof text) && spork__stat_parse(text, line);
}

static uint64_t start_ticks(int pid)
{
    spork__stat_line line;
    return read_stat(pid, &line) ? line.start : 0;
}

/* The number may be a thread's by now, which has no pidfd. */
static bool is_thread(int pid)
{
    char text[512];
    const char *at = read_proc(pid, "status", text, sizeof text) ? strstr(text, "\nTgid:") : NULL;
    return at != NULL && strtol(at + 6, NULL, 10) != pid;
}

/* Without a pidfd: dead are a zombie without a living thread, whoever it is, and one that was started at another time. */
static bool alive_by_stat(int pid, uint64_t start)
{
    spork__stat_line line;
    if (kill(pid, 0) != 0 && errno == ESRCH) return false;
    if (!read_stat(pid, &line)) return true;
    if ((line.state == 'Z' || line.state == 'X') && line.threads <= 1) return false;
    return start == 0 || (start & BY_PIDFS ? !is_thread(pid) : line.start == start);
}

uint64_t spork__os_start_time(int pid)
{
    int fd = pidfd_of(pid);
    uint64_t number = pidfs_number(fd);
    if (fd >= 0) spork__sys_close(fd);
    return number != 0 ? number : start_ticks(pid);
}

/* What the number of a process would be now, by the means by which `known` came about; 0: that cannot be told. */
static uint64_t number_now(uint64_t known, int pid, int fd)
{
    if (known == 0) return 0;
    return known & BY_PIDFS ? pidfs_number(fd) : start_ticks(pid);
}

/* Death has to be proven. The pidfd comes first: if the number read after it is the recorded one, the pidfd is that
 * process', and tells its end even while it is a zombie, or alive with a dead main thread. No descriptor left, /proc hidden:
 * the answer is "alive", and the question comes again. */
bool spork__os_process_alive(int pid, uint64_t start)
{
    bool alive = true;
    int code = errno, fd = pidfd_of(pid);
    if (fd < 0) {
        alive = errno != ESRCH && alive_by_stat(pid, start);
    } else {
        uint64_t now = number_now(start, pid, fd);
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if ((now != 0 && now != start) || spork__sys_poll(&p, 1, 0) == 1) alive = false;
        spork__sys_close(fd);
    }
    errno = code;
    return alive;
}

bool spork__os_process_stopped(int pid)
{
    spork__stat_line line;
    return read_stat(pid, &line) && (line.state == 'T' || line.state == 't');
}

uint64_t spork__os_pid_namespace(void)
{
    struct stat about;
    return stat("/proc/self/ns/pid", &about) == 0 ? (uint64_t)about.st_ino : 0;
}

/* Where they come into is told by the kernel once the first of them is there. Before that there is
 * a link that leads nowhere. */
bool spork__children_elsewhere(void)
{
    static const char own[] = "/proc/thread-self/ns/pid",
                      theirs[] = "/proc/thread-self/ns/pid_for_children";
    struct stat here, there;
    if (stat(own, &here) != 0 || lstat(theirs, &there) != 0) return false;
    return stat(theirs, &there) != 0 || there.st_ino != here.st_ino;
}

int spork__os_thread_count(void)
{
    struct stat about;
#if SPORK_HAVE_LIBC_SINGLE_THREADED
    if (__libc_single_threaded) return 1;
#endif
    if (stat("/proc/self/task", &about) != 0 || about.st_nlink < 3) return 0;
    return (int)about.st_nlink - 2 - atomic_load(&spork__own_threads);
}
