/* The lifeline: what both ways of being killed by it share. How a child is tied to it is in lifeline_sigio.c and
 * lifeline_watcher.c.
 *
 * Each process that starts children has one pipe: it holds the only write end, and never writes. When that is gone, however its holder
 * died, the read ends break, in all its children.
 *
 * Crash points: the parent dies before the child is tied: the child then sees the hang-up at once. A forked child dies before it
 * closed its copy of a write end: the kernel closes it. It is stopped there: its siblings outlive the parent until it goes
 * on; the window is a few instructions wide. A process forked without Spork gives its copy up in the fork handler; one made by a
 * raw clone does not, and delays the end of the others to its own. */
#include "os.h"

static int ends[2] = {-1, -1}; /* under SPORK__LOCK_START */
static int tied = -1;          /* to the parent's */

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
    ends[0] = spork__fd_close(ends[0]);
}

int spork__lifeline_descriptors(int *list)
{
    int count = 0;
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0) list[count++] = ends[i];
    if (tied >= 0) list[count++] = tied;
    return count;
}

spork_status spork__os_lifeline_tie(spork_native own_end)
{
    tied = (int)own_end; /* stays open as long as this process lives */
    return spork__lifeline_arm(tied);
}
