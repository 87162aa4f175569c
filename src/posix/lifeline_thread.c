/* Tied to the lifeline by a small thread, which waits for the read end to break, and ends this
 * process. The only way where the kernel has none (lifeline_watcher.c), and beside the kernel's
 * where that may not be allowed to, or not be obeyed (lifeline_sigio.c). Unlike that one it needs
 * the process to run: a stopped child ends when it is continued; and what the child executes does
 * not have it. */
#include "os.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

static spork__file watched;

static void *watch(void *fd)
{
    int own = (int)(intptr_t)fd;
    struct pollfd p = {.fd = own, .events = POLLIN};
    while (spork__sys_poll(&p, 1, -1) < 0) {} /* nobody writes: ready means over */
    if (!spork__file_is(own, &watched)) { /* but for a number that the program has closed since */
        atomic_fetch_sub(&spork__own_threads, 1);
        return NULL;
    }
    kill(getpid(), SIGKILL);
    _exit(128 + SIGKILL); /* process 1 of a namespace is not killed by its own */
    return NULL;
}

/* Thread-local variables of the program may be more than that stack. */
static int start(pthread_t *thread, int own, size_t stack)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (stack > 0) pthread_attr_setstacksize(&attributes, stack);
    int code = pthread_create(thread, &attributes, watch, (void *)(intptr_t)own);
    pthread_attr_destroy(&attributes);
    return code;
}

spork_status spork__lifeline_watch(int own)
{
    pthread_t thread;
    sigset_t all, before;
    spork__file_note(own, &watched);
    sigfillset(&all);
    /* The program's handlers run in the program's threads. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_fetch_add(&spork__own_threads, 1); /* before somebody counts it */
    int code = start(&thread, own, 128 * 1024);
    if (code == EINVAL) code = start(&thread, own, 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0) return SPORK_OK;
    atomic_fetch_sub(&spork__own_threads, 1);
    return spork__fail_os(code, "no thread to watch the parent's life");
}
