/* Tied to the lifeline, on systems whose kernel cannot do it alone (macOS, the BSDs): a small thread in each child waits for the
 * read end to break, and kills this process. Unlike the kernel's way it needs the process to run: a stopped child ends when
 * it is continued. */
#include "os.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

bool spork__lifeline_needs_thread(void) { return true; }

static void *watch(void *fd)
{
    struct pollfd p = {.fd = (int)(intptr_t)fd, .events = POLLIN};
    while (spork__sys_poll(&p, 1, -1) < 0) {} /* nobody writes: ready means over */
    kill(getpid(), SIGKILL);
    return NULL;
}

int spork__lifeline_open(int end) { return SPORK__SYS(fcntl(end, F_DUPFD_CLOEXEC, 3)); }

spork_status spork__lifeline_arm(int own)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the program's handlers run in the program's threads */
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    int code = pthread_create(&thread, &attributes, watch, (void *)(intptr_t)own);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) return spork__fail_os(code, "no thread to watch the parent's life");
    atomic_fetch_add(&spork__own_threads, 1);
    return SPORK_OK;
}
