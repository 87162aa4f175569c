/* Nobody is orphaned, on systems whose kernel cannot do it alone (macOS, the BSDs): a small thread in each child waits for the end of
 * the parent's lifeline, a pipe to which the parent holds the only write end and never writes, and kills this process.
 *
 * Unlike the kernel's way it needs the process to run: a stopped child ends when it is continued. Crash points are as in
 * lifeline_sigio.c; a parent that died before the thread began is seen at once, for its end of the pipe is closed. */
#include "os.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
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
    if (!spork__own_fork) ends[0] = spork__fd_close(ends[0]);
}

int spork__lifeline_descriptors(int *list)
{
    int count = 0;
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0) list[count++] = ends[i];
    if (tied >= 0) list[count++] = tied;
    return count;
}

bool spork__lifeline_needs_thread(void) { return true; }

void spork__lifeline_drop_inherited(void) { ends[0] = spork__fd_close(ends[0]); }

static void *watch(void *fd)
{
    struct pollfd p = {.fd = (int)(intptr_t)fd, .events = POLLIN};
    while (poll(&p, 1, -1) < 0) {} /* nobody writes: ready means over */
    kill(getpid(), SIGKILL);
    return NULL;
}

spork_status spork__os_lifeline_tie(spork_native watched_end)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int own = dup((int)watched_end);
    if (own < 0) return spork__fail_os(errno, "no descriptor for the lifeline");
    own = spork__fd_private(own);
    spork__fd_close((int)watched_end);
    if ((int)watched_end == ends[0]) ends[0] = -1; /* the parent's pair, which a fork copied */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the program's handlers run in the program's threads */
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    int code = pthread_create(&thread, &attributes, watch, (void *)(intptr_t)own);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) return spork__fail_os(code, "no thread to watch the parent's life");
    tied = own;
    atomic_fetch_add(&spork__own_threads, 1);
    return SPORK_OK;
}
