/* The end of our own children, by pidfd: it names the process, not the number; becomes readable at its end, for any number of
 * waiters; and serves to reap and to signal. A child without one (Linux before 5.4, or no descriptor was left when it was
 * started) is waited for by number. */
#include "exit_shared.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* Linux 6.15: what the system still tells of a process that was reaped, by linux/pidfd.h. */
typedef struct pidfd_info {
    uint64_t mask, cgroup;
    uint32_t ids[11];
    int32_t exit_code;
} pidfd_info;
enum { INFO_EXIT = 8, TOLD_MS = 100 };
#define GET_INFO _IOWR(0xFF, 11, pidfd_info)

int spork__exit_open_for_others(int pid) { return (int)spork__exit_open(pid); }

/* It has ended; the moment until it is reaped is short where somebody does that. */
bool spork__exit_told(int handle, spork__end *end)
{
    for (int ms = 0; handle >= 0 && ms < TOLD_MS; ms++) {
        pidfd_info info = {.mask = INFO_EXIT};
        if (ioctl(handle, GET_INFO, &info) != 0) return false;
        if ((info.mask & INFO_EXIT) != 0) {
            spork__exit_decode(info.exit_code, end);
            return true;
        }
        spork__os_sleep(1);
    }
    return false;
}

bool spork__exit_signal_by(int handle, int number)
{
    return handle >= 0 && SPORK__SYS(syscall(SYS_pidfd_send_signal, handle, number, NULL, 0)) == 0;
}

spork_native spork__exit_open(int pid)
{
    return spork__fd_private((int)SPORK__SYS(syscall(SYS_pidfd_open, pid, 0))); /* private at birth by definition */
}

spork_status spork__exit_wait(const spork__child *child, int timeout_ms)
{
    if (child->handle == SPORK__NO_HANDLE) return spork__exit_wait_by_number(child, timeout_ms);
    return spork__fd_wait((int)child->handle, -1, timeout_ms) != 0 ? SPORK_OK : SPORK_TIMEOUT;
}

spork_status spork__exit_reap(spork__child *child, spork__end *end)
{
    siginfo_t info;
    struct rusage used;
    if (child->handle == SPORK__NO_HANDLE) return spork__exit_reap_by_number(child, end);
    memset(&info, 0, sizeof info);
    memset(&used, 0, sizeof used);
    memset(end, 0, sizeof *end);
    end->exitcode = SPORK_RUNNING;
    /* glibc's waitid drops the resources */
    long result;
    do result = SPORK__SYS(syscall(SYS_waitid, P_PIDFD, (int)child->handle, &info, WEXITED | WNOHANG, &used));
    while (result != 0 && errno == EINTR);
    if (result == 0 && info.si_pid == 0) return SPORK_TIMEOUT;
    if (result != 0 && errno == EINVAL) return spork__exit_reap_by_number(child, end); /* Linux 5.3 */
    if (result !=
        0) { /* ECHILD: the host reaped it (waitpid(-1)), or ignores SIGCHLD: it may still run in the latter case */
        struct pollfd p = {.fd = (int)child->handle, .events = POLLIN};
        if (spork__sys_poll(&p, 1, 0) == 0) return SPORK_TIMEOUT;
        if (!spork__exit_told((int)child->handle, end)) end->exitcode = SPORK_EXIT_UNKNOWN;
        return SPORK_OK;
    }
    int core = info.si_code == CLD_DUMPED ? 0x80 : 0;
    spork__exit_decode(info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8
                                                  : (info.si_status & 0x7f) | core,
                       end);
    end->peak_rss = (uint64_t)used.ru_maxrss * 1024;
    end->cpu_ms = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
                  (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
    return SPORK_OK;
}

spork_status spork__exit_signal(spork__child *child, int number)
{
    if (child->handle == SPORK__NO_HANDLE) return spork__exit_signal_by_number(child, number);
    if (SPORK__SYS(syscall(SYS_pidfd_send_signal, (int)child->handle, number, NULL, 0)) == 0 || errno == ESRCH)
        return SPORK_OK;
    return spork__fail_os(errno, "signal %d cannot be sent to process %d", number, child->pid);
}
