/* Nobody is orphaned, on Linux: the kernel itself kills the child.
 *
 * Each process that starts children has one pipe, its lifeline: it holds the only write end, and never writes. A child opens the read end
 * anew, through /proc/self/fd (a description of its own: owner and signal belong to that, and a shared one could serve a
 * single child), and asks to be sent SIGKILL when anything happens on it. When the last write end is gone, however its
 * holder died, the kernel delivers: to busy, stopped and all-signals-blocked processes alike, and their children follow.
 *
 * Why not PR_SET_PDEATHSIG: it fires when the *thread* that forked ends.
 *
 * Crash points: the parent dies before the child has armed: the poll behind the arming sees the hang-up, and the child kills
 * itself. A forked child dies before it closed its copy of a write end: the kernel closes it. It is stopped there: its
 * siblings outlive the parent until it goes on; the window is a few instructions wide. A process forked without Spork
 * gives its copy up in the fork handler; one made by a raw clone does not, and delays the end of the others to its own. */
#include "os.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static int ends[2] = {-1, -1}; /* under SPORK__LOCK_START */
static int tied = -1;            /* to the parent's */

spork_status spork__os_lifeline(spork_native *watched_end)
{
    if (ends[0] < 0 && spork__fd_pipe(ends) != 0) {
        ends[0] = ends[1] = -1;
        return spork__fail_os(errno, "no pipe for the lifeline");
    }
    *watched_end = ends[0];
    return SPORK_OK;
}

void spork__os_lifeline_forget(void)
{
    ends[1] = spork__fd_close(ends[1]);
    tied = spork__fd_close(tied); /* to the parent's parent: not our business */
    if (!spork__own_fork) ends[0] = spork__fd_close(ends[0]); /* else it is about to be tied to it */
}

int spork__lifeline_descriptors(int *list)
{
    int count = 0;
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0) list[count++] = ends[i];
    if (tied >= 0) list[count++] = tied;
    return count;
}

bool spork__lifeline_needs_thread(void) { return false; }

void spork__lifeline_drop_inherited(void) { ends[0] = spork__fd_close(ends[0]); }

spork_status spork__os_lifeline_tie(spork_native watched_end)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", (int)watched_end);
    int own = spork__fd_private(SPORK__SYS(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)));
    if (own < 0) return spork__fail_os(errno, "%s cannot be opened: Spork needs /proc to end children with their parent", path);
    spork__fd_close((int)watched_end);
    if ((int)watched_end == ends[0]) ends[0] = -1; /* the parent's pair, which a fork copied */
    if (fcntl(own, F_SETOWN, getpid()) != 0 || fcntl(own, F_SETSIG, SIGKILL) != 0 || fcntl(own, F_SETFL, O_ASYNC | O_NONBLOCK) != 0)
        return spork__fail_os(errno, "the lifeline cannot be armed");
    struct pollfd p = {.fd = own, .events = POLLIN};
    if (poll(&p, 1, 0) > 0) kill(getpid(), SIGKILL); /* it broke before it was armed */
    tied = own; /* stays open as long as this process lives */
    return SPORK_OK;
}
