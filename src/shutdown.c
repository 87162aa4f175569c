#include "shutdown.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "object.h"
#include "platform.h"
#include "processes.h"
#include "threads.h"

enum { NOTICE_MS = 2000, DAEMON_MS = 2000, STEP_MS = 100, MOST = 4 };

static _Thread_local bool ends;

bool spork__ends_here(void) { return ends; }

static void (*_Atomic above[MOST])(void);

void spork__at_shutdown(void (*fn)(void))
{
    for (int i = 0; i < MOST; i++) {
        void (*none)(void) = NULL;
        if (above[i] == fn || atomic_compare_exchange_strong(&above[i], &none, fn) || none == fn) return;
    }
}

static uint64_t ms_since(uint64_t begin) { return (spork__os_now() - begin) / 1000000; }

static long bound_ms(void)
{
    const char *wish = spork__os_getenv("SPORK_EXIT_WAIT_MS");
    return wish != NULL ? strtol(wish, NULL, 10) : -1;
}

int spork__last_wait_ms(spork__last_wait *w, const char *name, int pid)
{
    char who[300];
    long bound = bound_ms();
    uint64_t waited = ms_since(w->begin);
    snprintf(who, sizeof who, pid != 0 ? "%s (pid %d)" : "%s", name, pid);
    if (bound >= 0 && waited >= (uint64_t)bound) {
        spork__log(SPORK_LOG_WARNING, "ending without %s: SPORK_EXIT_WAIT_MS has passed", who);
        return 0;
    }
    if (!w->told && waited >= NOTICE_MS) {
        w->told = true;
        spork__log(SPORK_LOG_WARNING, "waiting at the end for %s; a daemon would not be waited for", who);
    }
    int ms = w->told ? STEP_MS : NOTICE_MS - (int)waited;
    if (bound >= 0 && (uint64_t)bound - waited < (uint64_t)ms) ms = (int)((uint64_t)bound - waited);
    return ms < 1 ? 1 : ms;
}

/* All that are left of the daemons are killed. */
static void kill_daemons(void)
{
    char name[256];
    while (spork__process_kill_daemon(name, sizeof name))
        spork__log(SPORK_LOG_WARNING, "%s, a daemon, did not end when it was asked to: killed",
                   name);
}

/* The others first: daemons may serve them. Who does not end by itself may wait for an end that
 * this process has, its roles in queues and its ends of connections: it gives these up when it says
 * for whom it waits, and not before, as handlers that run later at the end may still want them. And
 * then it may wait for the end of a daemon. false: the time is over. */
static bool join_others(spork__last_wait *wait)
{
    char name[256];
    spork__child child;
    uint64_t begin = spork__os_now(), asked = 0;
    bool given_up = false;
    while (spork__process_left(false, &child, name, sizeof name)) {
        int ms = spork__last_wait_ms(wait, name, child.pid);
        if (ms == 0) return false;
        if (wait->told && !given_up) spork__objects_hang_up();
        given_up = wait->told;
        if (asked == 0 && ms_since(begin) >= NOTICE_MS + DAEMON_MS) {
            spork__processes_terminate_daemons();
            asked = spork__os_now();
        }
        if (asked != 0 && ms_since(asked) >= DAEMON_MS) kill_daemons();
        /* The object could be freed by another thread meanwhile, but its end is then seen in at
         * most this time. */
        spork__os_wait(&child, ms);
    }
    return true;
}

static void join_daemons(const spork__last_wait *wait)
{
    char name[256];
    spork__child child;
    uint64_t begin = spork__os_now();
    long bound = bound_ms();
    while (spork__process_left(true, &child, name, sizeof name)) {
        uint64_t waited = ms_since(begin);
        if (bound >= 0 && ms_since(wait->begin) >= (uint64_t)bound) {
            spork__log(SPORK_LOG_WARNING,
                       "ending without %s (pid %d): SPORK_EXIT_WAIT_MS has passed", name,
                       child.pid);
            return;
        }
        if (waited >= DAEMON_MS) kill_daemons();
        spork__os_wait(&child, STEP_MS);
    }
}

void spork_shutdown(void)
{
    spork__last_wait wait = {.begin = spork__os_now()};
    ends = true;
    spork__os_flush(); /* as an exit handler it runs before the C library's own: what was said is seen while it waits */
    spork__threads_join_all(&wait);
    for (int i = 0; i < MOST; i++)
        if (above[i] != NULL) above[i]();
    bool in_time = join_others(&wait);
    spork__processes_terminate_daemons();
    if (in_time) join_daemons(&wait);
    spork__os_forkserver_stop();
    /* The id is not given back: daemons, and threads of the program's own, may be inside a lock just now, and the end of the process alone
     * ends them. */
    spork__os_forget_thread_ends();
}
