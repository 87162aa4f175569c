#include "shutdown.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "platform.h"
#include "processes.h"
#include "threads.h"

enum { NOTICE_MS = 2000, STEP_MS = 100, MOST = 4 };

static void (*_Atomic above[MOST])(void);

void spork__at_shutdown(void (*fn)(void))
{
    for (int i = 0; i < MOST; i++) {
        void (*none)(void) = NULL;
        if (above[i] == fn || atomic_compare_exchange_strong(&above[i], &none, fn) || none == fn) return;
    }
}

int spork__last_wait_ms(spork__last_wait *w, const char *name, int pid)
{
    char who[300];
    const char *wish = spork__os_getenv("SPORK_EXIT_WAIT_MS");
    long bound = wish != NULL ? strtol(wish, NULL, 10) : -1;
    uint64_t now = spork__os_now();
    if (w->begin == 0) w->begin = now;
    uint64_t waited = (now - w->begin) / 1000000;
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

void spork_shutdown(void)
{
    spork__last_wait wait = {0};
    spork__os_flush(); /* as an exit handler it runs before the C library's own: what was said is seen while it waits */
    spork__threads_join_all(&wait);
    for (int i = 0; i < MOST; i++)
        if (above[i] != NULL) above[i]();
    spork__processes_terminate_daemons();
    spork__processes_join_all(&wait);
    spork__os_forkserver_stop();
    /* The id is not given back: daemons, and threads of the program's own, may be inside a lock just now, and the end of the process alone
     * ends them. */
    spork__os_forget_thread_ends();
}
