#include "os.h"

#include <signal.h>
#include <unistd.h>

bool spork__os_has_method(spork_start_method method) { return method >= SPORK_FORK && method <= SPORK_FORKSERVER; }

spork_start_method spork__os_default_method(void)
{
#ifdef __APPLE__
    return SPORK_SPAWN; /* system frameworks do not survive a fork */
#else
    return SPORK_FORK;
#endif
}

spork_status spork__os_fork(const spork__launch *launch, spork__child *child)
{
    int ack[2] = {-1, -1};
    spork__tie tie;
    sigset_t all, before;
    *child = SPORK__NO_CHILD;
    spork_status status = spork__check_passed(launch);
    if (status != SPORK_OK) return status;
    unsigned locked = spork__os_lock_all(); /* no descriptor of another thread's start is copied; all locks are ours, so the child can free them */
    if (launch->acknowledge && spork__fd_pipe(ack) != 0) {
        status = spork__fail_os(errno, "no pipe to hear from %s", launch->name);
        spork__os_unlock_all(locked);
        return status;
    }
    if (spork__lifeline_for(launch->given[SPORK__GIVEN_LIFELINE], &tie) != 0) {
        status = spork__fail_os(errno, "no lifeline for %s", launch->name);
        spork__fd_close(ack[0]);
        spork__fd_close(ack[1]);
        spork__os_unlock_all(locked);
        return status;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all,
                    &before); /* until the child has default dispositions: no handler of ours runs in it */
    int pid = SPORK__SYS(fork());
    if (pid == 0) {
        spork__os_cancel_off(); /* one that is pending for the thread that forked would end the child */
        spork__os_unlock_all(~0u);
        spork__fd_close(ack[0]);
        spork__fd_close(tie.leash);
        launch->child_main(launch->user, ack[1], tie.own);
        _exit(1); /* not reached */
    }
    int code = errno;
    if (pid > 0) {
        *child = (spork__child){pid, 0, spork__exit_open(pid), tie.leash, SPORK__NO_HANDLE, ack[0]};
        ack[0] = tie.leash = -1;
    }
    spork__lifeline_drop(&tie);
    spork__fd_close(ack[0]);
    spork__fd_close(ack[1]);
    spork__os_unlock_all(locked);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid > 0 ? SPORK_OK : spork__fork_failed(code, "fork");
}

spork_status spork__fork_failed(int code, const char *what)
{
    if (code == ENOMEM && spork__children_elsewhere())
        return spork__fail(
            SPORK_BROKEN,
            "%s: the pid namespace that this process has its children in (unshare, setns) takes no "
            "more of them, since its first process has ended",
            what);
    return spork__fail_os(code, "%s", what);
}

int spork__os_plain_fork(void)
{
    int pid = SPORK__SYS(fork());
    if (pid < 0) spork__fork_failed(errno, "spork_fork");
    if (pid == 0) spork__os_drop_unwritten();
    return pid;
}
