#ifdef __linux__
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <unistd.h>
#endif
#include "process_storm.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"

enum { CODE = 7, MOST = 1 << 15 };

typedef struct ledger {
    tally_ledger faults;
    _Atomic uint8_t runs[MOST]; /* how often the target of that start began */
} ledger;

typedef struct storm {
    const process_plan *plan;
    spork_shm *shm;
    ledger *ledger;
    _Atomic bool stop;
    _Atomic int during, after, server, unknown, starts, server_pid;
} storm;

typedef struct hand {
    storm *storm;
    unsigned random;
} hand;

static unsigned next_random(unsigned *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

static void pause_us(unsigned us)
{
    for (double end = spork_time() + us * 1e-6; spork_time() < end;)
        if (us > 200) spork__os_nap();
}

static int target(const spork_args *args)
{
    spork_shm *shm;
    int start, us;
    if (spork_unpack(args, &shm, &start, &us) != SPORK_OK) return 100;
    ledger *l = spork_shm_data(shm);
    atomic_fetch_add(&l->runs[start], 1);
    pause_us((unsigned)us);
    return CODE;
}

/* Where the fork server cannot clone siblings, or is not to. */
static bool relays(void)
{
    const char *how = getenv("SPORK_FORKSERVER");
    return how != NULL && strcmp(how, "relay") == 0;
}

/* ---- the hunter ---- */

#ifdef __linux__

bool process_can_hunt(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    return access(path, R_OK) == 0;
}

/* Once each: it stays in the list until it is reaped. */
static bool was_shot(int pid)
{
    enum { LAST = 64 };
    static int shot[LAST], count; /* of the one hunter */
    for (int i = 0; i < LAST; i++)
        if (shot[i] == pid) return true;
    shot[count++ % LAST] = pid;
    return false;
}

/* Children of that thread. A number can be another's only once its process was reaped and all other numbers were given since.
 * Where a server relays, our own children are servers, be they known yet or not. */
static void shoot_children_of(hand *h, const char *path, bool servers)
{
    char text[4096];
    FILE *f = fopen(path, "r");
    if (f == NULL) return;
    size_t size = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[size] = 0;
    for (char *at = text, *end; strtol(at, &end, 10) > 0 && end != at; at = end) {
        int pid = (int)strtol(at, NULL, 10);
        int known = atomic_load(&h->storm->server_pid);
        bool server = servers || pid == known, may_be_one = known == 0 && spork_get_start_method() == SPORK_FORKSERVER;
        if (next_random(&h->random) % (server || may_be_one ? 32 : 2) != 0 || was_shot(pid)) continue;
        if (server) atomic_fetch_add(&h->storm->server, 1); /* before anybody can know of it */
        kill(pid, SIGKILL);
    }
}

static void hunt(void *user)
{
    hand *h = user;
    while (!atomic_load(&h->storm->stop)) {
        char path[300];
        DIR *threads = opendir("/proc/self/task");
        for (struct dirent *e; threads != NULL && (e = readdir(threads)) != NULL;) {
            if (e->d_name[0] == '.') continue;
            snprintf(path, sizeof path, "/proc/self/task/%s/children", e->d_name);
            shoot_children_of(h, path, relays());
        }
        if (threads != NULL) closedir(threads);
        int server = atomic_load(&h->storm->server_pid);
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", server, server);
        if (server > 0) shoot_children_of(h, path, false); /* those that it relays */
        pause_us(next_random(&h->random) % 1500);
    }
}

#else
bool process_can_hunt(void) { return false; }
static void hunt(void *user) { (void)user; }
#endif

/* ---- starts ---- */

/* What the start and the end say, and how often the target ran, have to agree. */
static void compare(storm *s, int start, spork_status status, int code)
{
    tally_ledger *f = &s->ledger->faults;
    int runs = atomic_load(&s->ledger->runs[start]);
    if (runs > 1) tally_fault_add(f, TALLY_DUPLICATED, "a target ran %d times", runs);
    if (status == SPORK_BROKEN && runs != 0)
        tally_fault_add(f, TALLY_WRONG, "a start was broken, and the target ran: %s", spork_error());
    if (status == SPORK_OK && code == CODE && runs != 1)
        tally_fault_add(f, TALLY_WRONG, "it ended well, but did not run");
    if (status == SPORK_OK && code != CODE && code != -9 && code != SPORK_EXIT_UNKNOWN)
        tally_fault_add(f, TALLY_WRONG, "a process ended with %d", code);
    if (status == SPORK_OK && code == SPORK_EXIT_UNKNOWN && atomic_load(&s->server) == 0)
        tally_fault_add(f, TALLY_WRONG, "a process' end is unknown, though nobody killed the server");
    if (status != SPORK_OK && status != SPORK_BROKEN) tally_status(f, status);
}

static void start_one(hand *h, int start)
{
    storm *s = h->storm;
    int code = SPORK_RUNNING, us = (int)(next_random(&h->random) % 2000);
    spork_process *p = spork_process_new(target, spork_pack(s->shm, start, us));
    spork_status status = spork_process_start(p);
    bool of_server = status == SPORK_BROKEN && strstr(spork_error(), "the fork server") != NULL;
    if (status == SPORK_OK) {
        if (!s->plan->hunted) {
            pause_us(next_random(&h->random) % 400);
            spork_process_kill(p);
        }
        if (spork_process_join(p, harness_patience_ms()) != SPORK_OK)
            tally_fault_add(&s->ledger->faults, TALLY_HUNG, "a process that was killed does not end");
        code = spork_process_exitcode(p);
    }
    compare(s, start, status, code);
    if (status == SPORK_BROKEN && !of_server) atomic_fetch_add(&s->during, 1);
    if (of_server && !relays())
        atomic_fetch_add(&s->server, 2); /* three in a row, of which the hunter can have known the first */
    if (status == SPORK_OK && code == -9) atomic_fetch_add(&s->after, 1);
    if (status == SPORK_OK && code == SPORK_EXIT_UNKNOWN) atomic_fetch_add(&s->unknown, 1);
    spork_process_free(p);
}

static int deaths(const storm *s) { return atomic_load(&s->during) + atomic_load(&s->after) + atomic_load(&s->server); }

static void start_many(void *user)
{
    hand *h = user;
    storm *s = h->storm;
    harness_budget budget = s->plan->deaths;
    while (atomic_load(&s->ledger->faults.total) == 0 && harness_goes_on(&budget, deaths(s))) {
        int start = atomic_fetch_add(&s->starts, 1);
        if (start >= MOST) return;
        atomic_store(&s->server_pid, spork__os_forkserver_pid());
        start_one(h, start);
    }
}

process_result process_storm(const process_plan *plan)
{
    storm *s = calloc(1, sizeof *s);
    if (s == NULL) abort();
    process_result r;
    memset(&r, 0, sizeof r);
    hand hands[PROCESS_THREADS], hunter = {s, plan->seed ^ 0x77777};
    harness_thread *threads[PROCESS_THREADS], *hunting = NULL;
    s->plan = plan;
    s->shm = spork_shm_new(sizeof(ledger));
    s->ledger = spork_shm_data(s->shm);
    if (s->ledger == NULL) abort();
    atomic_store(&s->server_pid, spork__os_forkserver_pid());
    if (plan->hunted) hunting = harness_thread_start(hunt, &hunter);
    for (int i = 0; i < plan->threads; i++) {
        hands[i] = (hand){s, plan->seed + (unsigned)i * 7919u};
        threads[i] = harness_thread_start(start_many, &hands[i]);
    }
    for (int i = 0; i < plan->threads; i++) harness_thread_join(threads[i]);
    atomic_store(&s->stop, true);
    if (hunting != NULL) harness_thread_join(hunting);
    r.during = atomic_load(&s->during);
    r.after = atomic_load(&s->after);
    r.server = atomic_load(&s->server);
    r.unknown = atomic_load(&s->unknown);
    r.starts = atomic_load(&s->starts);
    for (int f = 0; f < TALLY_FAULTS; f++) r.faults[f] = atomic_load(&s->ledger->faults.counts[f]);
    memcpy(r.first, s->ledger->faults.first, sizeof r.first);
    spork_shm_free(s->shm);
    free(s);
    return r;
}
