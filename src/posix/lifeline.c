/* The lifeline: what both ways of being killed by it share. How a child is tied to it is in
 * lifeline_sigio.c, lifeline_watcher.c and lifeline_thread.c.
 *
 * Each process that starts children has one pipe: it holds the only write end, and never writes. When that is gone, however its holder
 * died, the read ends break, in all its children. A child that cannot have an end of its own of
 * that pipe (spork__lifeline_open) has a pipe of its own, its leash: its parent holds the write end
 * of that, too.
 *
 * Crash points: the parent dies before the child is tied: the child then sees the hang-up at once. A forked child dies before it
 * closed its copy of a write end: the kernel closes it. It is stopped there: its siblings outlive the parent until it goes
 * on; the window is a few instructions wide. A process forked without Spork gives its copy up in the fork handler; one made by a
 * raw clone does not, and delays the end of the others to its own. */
#include "os.h"

static int ends[2] = {-1, -1}; /* under SPORK__LOCK_START */
static spork__file files[2];   /* what they are */
static int tied = -1;          /* to the parent's */
static spork__file tied_file;

/* The program may have closed our numbers, as some close all that they do not know, and may have
 * made others of them since: these are the program's, then. By the write end's close its children
 * have been killed. */
static spork_status look_whether_ours(void)
{
    bool read_end = spork__file_is(ends[0], &files[0]),
         write_end = spork__file_is(ends[1], &files[1]);
    if (read_end && write_end) return SPORK_OK;
    if (write_end)
        return spork__fail(
            SPORK_BAD_STATE,
            "this program has closed descriptor %d, which is Spork's: no child could be tied to "
            "its life",
            ends[0]);
    if (read_end) spork__fd_close(ends[0]);
    ends[0] = ends[1] = -1;
    return SPORK_OK;
}

spork_status spork__os_lifeline(spork_native *watched_end)
{
    spork_status status = ends[0] >= 0 ? look_whether_ours() : SPORK_OK;
    if (status != SPORK_OK) return status;
    if (ends[0] < 0) {
        if (spork__fd_pipe(ends) != 0) {
            ends[0] = ends[1] = -1;
            return spork__fail_os(errno, "no pipe for the lifeline");
        }
        for (int i = 0; i < 2; i++) spork__file_note(ends[i], &files[i]);
    }
    *watched_end = ends[0];
    return SPORK_OK;
}

int spork__lifeline_for(spork_native end, spork__tie *tie)
{
    int leash[2];
    *tie = (spork__tie){-1, -1};
    if (end == SPORK__NO_HANDLE) return 0;
    if ((tie->own = spork__lifeline_open((int)end)) >= 0) return 0;
    if (spork__is_full(errno) || spork__fd_pipe(leash) != 0) return -1;
    *tie = (spork__tie){leash[0], leash[1]};
    return 0;
}

void spork__lifeline_drop(spork__tie *tie)
{
    tie->own = spork__fd_close(tie->own);
    tie->leash = spork__fd_close(tie->leash);
}

void spork__os_lifeline_forget(void)
{
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0 && spork__file_is(ends[i], &files[i])) spork__fd_close(ends[i]);
        ends[i] = -1;
    }
    /* To the parent's parent: not our business. */
    if (tied >= 0 && spork__file_is(tied, &tied_file)) spork__fd_close(tied);
    tied = -1;
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
    spork__file_note((int)own_end, &tied_file);
    tied = (int)own_end; /* stays open as long as this process lives */
    return spork__lifeline_arm(tied);
}
