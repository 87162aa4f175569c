/* Tied to the lifeline, on Linux: the kernel itself kills the child.
 *
 * The parent opens the read end anew for each child, through /proc/self/fd: a description of its own, because owner and
 * signal belong to that, and a shared one could serve a single child. (The parent, because it finds that file faster than a
 * process that is new to /proc.) The child asks to be sent SIGKILL when anything happens on it. When the last write
 * end is gone, the kernel delivers: to busy, stopped and all-signals-blocked processes alike, and their children follow.
 *
 * Needs Linux 5.6: earlier ones also signal when any other end of the pipe is closed, such as that of a sibling that has ended (fs/pipe.c,
 * pipe_release).
 *
 * Why not PR_SET_PDEATHSIG: it fires when the *thread* that forked ends.
 *
 * Process 1 of a pid namespace takes no signal of this kind that it has not asked for: it gets a
 * thread beside it (lifeline_thread.c). What no other process could want: who has a thread more
 * cannot enter a user namespace, is not confined as a whole by calls for one thread, and does not
 * end by pthread_exit. So a child that becomes another user than its parent is left to the kernel's
 * rule: root of the first user namespace, and who was that user when it was tied, may signal it;
 * else the tie is lost. */
#include "os.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

bool spork__lifeline_needs_thread(void) { return false; }

/* "/proc/self/fd/N", by hand: printf's pages would be missing in every forked child, and cost more than all the rest here. */
static const char *path_of(int fd, char path[32])
{
    char *at = path + 31;
    *at = 0;
    do *--at = (char)('0' + fd % 10);
    while ((fd /= 10) > 0);
    return memcpy(at - (sizeof "/proc/self/fd/" - 1), "/proc/self/fd/", sizeof "/proc/self/fd/" - 1);
}

int spork__lifeline_open(int end)
{
    char room[32];
    return spork__fd_private(spork__fd_open(path_of(end, room), O_RDONLY | O_NONBLOCK));
}

spork_status spork__lifeline_arm(int own)
{
    if (fcntl(own, F_SETSIG, SIGKILL) != 0 || fcntl(own, F_SETOWN, getpid()) != 0 ||
        fcntl(own, F_SETFL, O_ASYNC | O_NONBLOCK) != 0 ||
        fcntl(own, F_SETFD, 0) != 0) /* what this process executes dies with the parent, too */
        return spork__fail_os(errno, "the lifeline cannot be armed");
    struct pollfd p = {.fd = own, .events = POLLIN};
    if (spork__sys_poll(&p, 1, 0) > 0) kill(getpid(), SIGKILL); /* it broke before it was armed */
    return getpid() == 1 ? spork__lifeline_watch(own) : SPORK_OK;
}
