/* Waiting, reaping and signalling by number: for systems without a pidfd or kqueue, and for the child that there was no
 * descriptor left for. Safe for as long as nobody has reaped our child: until then the
 * number is its own, and the caller holds the lock under which alone Spork reaps. A host that reaps everybody's children
 * (waitpid(-1)) is seen by the look before; what it does between that look and the signal cannot be seen. */
#ifndef SPORK_POSIX_EXIT_SHARED_H
#define SPORK_POSIX_EXIT_SHARED_H

#include "os.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* 1: ended, not reaped; 0: runs; -1: no child of ours (any more). */
static inline int spork__exit_look(int pid)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    int result;
    do result = spork__sys_waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
    while (result != 0 && errno == EINTR);
    return result != 0 ? -1 : info.si_pid != 0;
}

/* Asks again and again, less often the longer it takes. */
static inline spork_status spork__exit_wait_by_number(const spork__child *child, int timeout_ms)
{
    uint64_t begin = spork__os_now();
    for (;;) {
        if (spork__exit_look(child->pid) != 0) return SPORK_OK;
        uint64_t waited = (spork__os_now() - begin) / 1000000;
        if (timeout_ms >= 0 && waited >= (uint64_t)timeout_ms) return SPORK_TIMEOUT;
        uint64_t pause = 1 + waited / 10; /* a tenth late at most, ten milliseconds at most */
        if (pause > 10) pause = 10;
        if (timeout_ms >= 0 && pause > (uint64_t)timeout_ms - waited) pause = (uint64_t)timeout_ms - waited;
        spork__os_sleep((int)pause);
    }
}

static inline spork_status spork__exit_reap_by_number(spork__child *child, spork__end *end)
{
    struct rusage used;
    int wait_status = 0, result;
    memset(&used, 0, sizeof used);
    memset(end, 0, sizeof *end);
    end->exitcode = SPORK_RUNNING;
    do result = (int)spork__sys_wait4(child->pid, &wait_status, WNOHANG, &used);
    while (result < 0 && errno == EINTR);
    if (result == 0) return SPORK_TIMEOUT;
    if (result < 0) {
        end->exitcode = SPORK_EXIT_UNKNOWN;
        return SPORK_OK;
    }
    spork__exit_decode(wait_status, end);
#ifdef __APPLE__
    end->peak_rss = (uint64_t)used.ru_maxrss; /* bytes there */
#else
    end->peak_rss = (uint64_t)used.ru_maxrss * 1024;
#endif
    end->cpu_ms = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
                  (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
    return SPORK_OK;
}

static inline spork_status spork__exit_signal_by_number(spork__child *child, int number)
{
    if (spork__exit_look(child->pid) != 0) return SPORK_OK; /* over */
    if (SPORK__SYS(kill(child->pid, number)) == 0 || errno == ESRCH) return SPORK_OK;
    return spork__fail_os(errno, "signal %d cannot be sent to process %d", number, child->pid);
}

#endif
