/* Tied to the lifeline, on Linux: the kernel itself kills the child.
 *
 * The child opens the read end anew, through /proc/self/fd (a description of its own: owner and signal belong to that, and a
 * shared one could serve a single child), and asks to be sent SIGKILL when anything happens on it. When the last write
 * end is gone, the kernel delivers: to busy, stopped and all-signals-blocked processes alike, and their children follow.
 *
 * Why not PR_SET_PDEATHSIG: it fires when the *thread* that forked ends. */
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

spork_status spork__lifeline_arm(int watched_end, int *armed)
{
    char room[32];
    const char *path = path_of(watched_end, room);
    int own = spork__fd_private(SPORK__SYS(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)));
    if (own < 0)
        return spork__fail_os(errno, "%s cannot be opened: Spork needs /proc to end children with their parent", path);
    *armed = own; /* stays open as long as this process lives */
    if (fcntl(own, F_SETOWN, getpid()) != 0 || fcntl(own, F_SETSIG, SIGKILL) != 0 ||
        fcntl(own, F_SETFL, O_ASYNC | O_NONBLOCK) != 0)
        return spork__fail_os(errno, "the lifeline cannot be armed");
    struct pollfd p = {.fd = own, .events = POLLIN};
    if (poll(&p, 1, 0) > 0) kill(getpid(), SIGKILL); /* it broke before it was armed */
    return SPORK_OK;
}
