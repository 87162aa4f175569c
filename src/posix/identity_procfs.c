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
#include <sys/syscall.h>
#include <unistd.h>

#if SPORK_HAVE_LIBC_SINGLE_THREADED
#include <sys/single_threaded.h>
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* Field 22 of /proc/PID/stat: clock ticks since boot. The name in field 2 may hold spaces and brackets. */
uint64_t spork__os_start_time(int pid)
{
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return 0;
    text[n] = 0;
    char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 22; field++) at = strchr(at + 1, ' ');
    return at != NULL ? strtoull(at + 1, NULL, 10) : 0;
}

/* Death has to be proven. The pidfd comes first: if the start time read after it is the recorded one, the pidfd is that
 * process', and tells its end even while it is a zombie, or alive with a dead main thread. No descriptor left, /proc hidden:
 * the answer is "alive", and the question comes again. */
bool spork__os_process_alive(int pid, uint64_t start)
{
    bool alive = true;
    int code = errno, fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) {
        alive = errno != ESRCH && !(kill(pid, 0) != 0 && errno == ESRCH);
        uint64_t now = alive && start != 0 ? spork__os_start_time(pid) : 0;
        if (now != 0 && now != start) alive = false;
    } else {
        uint64_t now = start != 0 ? spork__os_start_time(pid) : 0;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if ((now != 0 && now != start) || poll(&p, 1, 0) == 1) alive = false;
        close(fd);
    }
    errno = code;
    return alive;
}

uint64_t spork__os_pid_namespace(void)
{
    struct stat about;
    return stat("/proc/self/ns/pid", &about) == 0 ? (uint64_t)about.st_ino : 0;
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
