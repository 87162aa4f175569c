/* A program that is started by its descriptor: where posix_spawn has no name for it, as in a root
 * directory of its own without /proc. Linux alone.
 *
 * posix_spawn lets the child borrow its parent's memory; this one copies it, as a fork does, but
 * tells no fork handler: between the copy and the exec there are system calls only. Signals stay
 * blocked in the child, until it takes over: no handler of its parent's runs in it. */
#include "os.h"

#ifdef __linux__
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* The clone of S/390 takes its arguments in another order; that of SPARC and Itanium returns
 * otherwise. */
#if defined(SYS_execveat) && !defined(__s390__) && !defined(__sparc__) && !defined(__ia64__)

static bool keep(int64_t fd) { return fd < 0 || fcntl((int)fd, F_SETFD, 0) == 0; }

static bool keep_all(const spork__execution *e)
{
    const spork__launch *launch = e->launch;
    bool kept = keep(e->program) && keep(e->ack) && keep(launch->record->handle);
    for (size_t i = 0; kept && i < launch->given_count; i++) kept = keep(launch->given_there[i]);
    for (size_t i = 0; kept && i < launch->pass_count; i++) kept = keep(launch->pass[i]);
    return kept;
}

/* In the child. What is written is the reason why it does not begin. */
static void begin(const spork__execution *e, int told)
{
    if (keep_all(e)) syscall(SYS_execveat, e->program, "", e->argv, e->environment, AT_EMPTY_PATH);
    int code = errno;
    syscall(SYS_write, told, &code, sizeof code);
    syscall(SYS_exit_group, 127);
}

int spork__execute(const spork__execution *e, int *pid)
{
    int told[2], code = 0, status;
    sigset_t all, before;
    if (spork__fd_pipe(told) != 0) return errno;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    long child = SPORK__SYS(syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0L, 0L, 0L, 0L));
    if (child == 0) begin(e, told[1]);
    if (child < 0) code = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    spork__fd_close(told[1]);
    if (child > 0 && spork__fd_read(told[0], &code, sizeof code) == 1)
        while (spork__sys_waitpid((pid_t)child, &status, 0) < 0 && errno == EINTR) {}
    spork__fd_close(told[0]);
    if (code == 0) *pid = (int)child;
    return code;
}

#else

int spork__execute(const spork__execution *e, int *pid) { return (void)e, (void)pid, ENOSYS; }

#endif
