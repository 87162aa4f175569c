#include "pool_storm.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pools.h"

enum {
    ORDERS = POOLS_FREE, /* + worker: how its task shall die */
    OBEYED = POOLS_FREE + 32,
    MET,
    LARGEST = 100 * 1024
};
enum order { LIVE, EXIT, ABORT, WRITE_NULL, KILL, STOP, POINTS }; /* POINTS + point: there */

static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* ---- what runs in workers ---- */

static void obey(pools_board *b, unsigned worker)
{
    const int place = ORDERS + (int)worker;
    if (pools_get(b, place) == LIVE) return;
    const long order = pools_exchange(b, place, LIVE);
    pools_add(b, OBEYED, 1);
    if (order >= POINTS) spork__point_arm((spork__point)(order - POINTS), 1);
    switch (order) {
    case EXIT: pools_die("exit", 3); break;
    case ABORT: pools_die("abort", 0); break;
    case WRITE_NULL: pools_die("null", 0); break;
    case KILL: pools_die("kill", 0); break;
    case STOP: pools_suspend(spork_getpid()); break; /* Windows: nothing */
    default: break;
    }
}

static void labour(const spork_task *task, int number)
{
    pools_board *b = pools_here();
    pools_set(b, POOLS_PIDS + (int)task->worker, spork_getpid());
    for (double end = spork_time() + (number % 8) * 1e-4;;) {
        obey(b, task->worker);
        if (spork_time() >= end) return;
    }
}

static size_t payload_of(int number) { return number % 50 == 0 ? LARGEST : number % 10 == 0 ? 4096 : 16; }

/* number, bytes -> number * number, the bytes (of large ones in room of the pool's) */
static int storm_task(const spork_args *args, spork_task *task)
{
    int number;
    spork_bytes bytes;
    if (spork_unpack(args, &number, &bytes) != SPORK_OK) return 1;
    pools_add(pools_here(), POOLS_RUNS + number, 1);
    labour(task, number);
    if (bytes.size < LARGEST) return spork_return(task, number * number, bytes);
    void *room = spork_task_alloc(task, bytes.size);
    if (room == NULL) return 1;
    memcpy(room, bytes.data, bytes.size);
    labour(task, number + 1);
    return spork_return(task, number * number, spork_bytes_of(room, bytes.size));
}

static int storm_item(const void *in, void *out, spork_task *task)
{
    int number = *(const int *)in;
    labour(task, number);
    *(int *)out = number * number;
    return 0;
}

static int storm_meet(const spork_args *args, spork_task *task)
{
    pools_board *b = pools_here();
    unsigned workers;
    if (spork_unpack(args, &workers) != SPORK_OK) return 1;
    pools_add(b, MET, 1);
    if (!pools_until(b, MET, (long)workers)) return spork_fail(task, "they do not meet");
    return spork_return(task, task->worker);
}

/* ---- the storm ---- */

typedef struct storm {
    const pool_plan *plan;
    pool_result result;
    spork_shm *shm;
    pools_board *board;
    spork_pool *pool;
    unsigned workers;
    uint64_t given;   /* tasks of this pool so far */
    unsigned ordered; /* points */
    spork__point armed[STORM_MOST];
    long armed_pid[STORM_MOST];
    double armed_at[STORM_MOST];
    atomic_bool stop;
    atomic_int kills;
    unsigned char payload[LARGEST + 256]; /* that of a number begins at number % 256 */
} storm;

static void violation(pool_result *r, tally_fault fault, const char *format, ...)
{
    va_list args;
    r->faults[fault]++;
    if (r->violations++ > 0) return;
    va_start(args, format);
    vsnprintf(r->first, sizeof r->first, format, args);
    va_end(args);
}

static int kills_of(const storm *s) { return atomic_load(&s->kills) + (int)pools_get(s->board, OBEYED); }

static const spork__point points[] = {SPORK__AT_TASK_NOTED,     SPORK__AT_TASK_TAKEN,     SPORK__AT_TASK_RETURNED,
                                      SPORK__AT_TASK_FINISHING, SPORK__AT_TASK_RESULT,    SPORK__AT_TASK_DONE,
                                      SPORK__AT_TASK_ENTERED,   SPORK__AT_ARENA_LOCKED,   SPORK__AT_ARENA_TAKEN,
                                      SPORK__AT_ARENA_FREEING,  SPORK__AT_BELL_ANNOUNCED, SPORK__AT_BELL_CLAIMED,
                                      SPORK__AT_BELL_WOKEN};
enum { POINTS_COUNT = sizeof points / sizeof *points };

/* Each of them in turn; a worker that has one dies when it comes there. */
static void order_point(storm *s, int worker)
{
    spork__point point = points[s->ordered++ % POINTS_COUNT];
    pools_set(s->board, ORDERS + worker, POINTS + (long)point);
    s->result.at[point]++;
    s->armed[worker] = point;
    s->armed_pid[worker] = pools_get(s->board, POOLS_PIDS + worker);
    s->armed_at[worker] = spork_time();
}

/* That worker has another process now: the one that was armed has come to its point. */
static void note_death(storm *s, int worker, long pid)
{
    if (s->armed_pid[worker] == 0 || s->armed_pid[worker] == pid) return;
    s->result.died_at[s->armed[worker]]++;
    s->armed_pid[worker] = 0;
}

/* Kills until it is told to stop: from outside, or by an order that a task obeys. A worker is known as soon as a task was in it. */
static void kill_workers(void *user)
{
    storm *s = user;
    long struck[STORM_MOST] = {0};
    unsigned random = s->plan->seed ^ 0x5a5a5a;
    int pace_ms = s->plan->pace_ms > 0 ? s->plan->pace_ms : harness_wine() ? 100 : 25;
    while (!atomic_load(&s->stop)) {
        int worker = (int)(next_random(&random) % s->workers);
        long pid = pools_get(s->board, POOLS_PIDS + worker);
        spork_sleep((int)(next_random(&random) % (unsigned)pace_ms));
        if (pid == 0 || pid == struck[worker] || !harness_pid_exists((int)pid)) continue;
        if (pools_get(s->board, ORDERS + worker) != LIVE) continue;
        unsigned way = next_random(&random) % (s->plan->timeout_ms > 0 ? 8 : 6);
        note_death(s, worker, pid);
        if (s->armed_pid[worker] != 0 && spork_time() - s->armed_at[worker] < 0.1)
            continue; /* it may come to its point yet */
        if (s->plan->points)
            order_point(s, worker);
        else if (way < 4)
            pools_set(s->board, ORDERS + worker, EXIT + (long)way);
        else if (way >= 6)
            pools_set(s->board, ORDERS + worker, STOP); /* in a task, which has a deadline */
        else {
            pools_kill((int)pid);
            struck[worker] = pid;
            atomic_fetch_add(&s->kills, 1);
        }
    }
}

/* Whether it is the record of a death that can have been. */
static void check_death(storm *s, const spork_future *future, spork_status status, uint64_t task)
{
    pool_result *r = &s->result;
    spork_death d;
    if (spork_future_death(future, &d) != SPORK_OK) {
        violation(r, TALLY_WRONG, "no record: %s", spork_error());
        return;
    }
    bool known = d.exitcode == 3 || d.exitcode == -6 || d.exitcode == -11 || d.exitcode == -9 || d.exitcode == 9 ||
                 d.exitcode == -15 || (status == SPORK_DEADLINE && d.exitcode == SPORK_RUNNING);
    if (!known) violation(r, TALLY_WRONG, "exit code %d", d.exitcode);
    if (d.pid == 0 || d.worker >= s->workers) violation(r, TALLY_WRONG, "pid %d, worker %u", d.pid, d.worker);
    if (d.attempt != s->plan->retries + 1) violation(r, TALLY_WRONG, "given up at attempt %u", d.attempt);
    if (task != 0 && d.task != task) violation(r, TALLY_WRONG, "task %d is called %d", (int)task, (int)d.task);
    if (d.text[0] == 0) violation(r, TALLY_WRONG, "no reason");
}

static void count_status(storm *s, spork_status status, int number)
{
    pool_result *r = &s->result;
    if (status == SPORK_OK)
        r->right++;
    else if (status == SPORK_CRASHED)
        r->crashed++;
    else if (status == SPORK_DEADLINE && s->plan->timeout_ms > 0)
        r->late++;
    else
        violation(r, TALLY_WRONG, "number %d: %s", number, spork_status_name(status));
}

static void check_future(storm *s, const spork_future *future, int number, uint64_t task)
{
    pool_result *r = &s->result;
    int square = -1;
    spork_bytes bytes = {NULL, 0};
    if (spork_future_wait(future, harness_patience_ms()) != SPORK_OK) {
        violation(r, TALLY_HUNG, "number %d does not end", number);
        return;
    }
    spork_status status = spork_future_status(future), got = spork_future_get(future, 0, &square, &bytes);
    count_status(s, status, number);
    if (status != got)
        violation(r, TALLY_WRONG, "number %d: %s, and then %s", number, spork_status_name(status),
                  spork_status_name(got));
    if (status != SPORK_OK)
        check_death(s, future, status, task);
    else if (square != number * number || bytes.size != payload_of(number) ||
             memcmp(bytes.data, s->payload + number % 256, bytes.size) != 0)
        violation(r, TALLY_TORN, "number %d: a wrong result", number);
}

typedef struct one_task {
    atomic_int calls;
    spork_status told;
    spork_future *future;
} one_task;

static void note(const spork_future *future, void *user)
{
    one_task *t = user;
    t->told = spork_future_status(future);
    atomic_fetch_add(&t->calls, 1);
}

static spork_args pack(const storm *s, int number)
{
    return spork_pack(number, spork_bytes_of(s->payload + number % 256, payload_of(number)));
}

static void give_tasks(storm *s)
{
    static one_task tasks[STORM_TASKS];
    const uint64_t before = s->given;
    for (int i = 0; i < STORM_TASKS; i++) {
        spork_task_options o = {.done = note, .user = &tasks[i]};
        atomic_store(&tasks[i].calls, 0);
        pools_set(s->board, POOLS_RUNS + i, 0);
        spork_status status = spork_pool_apply_async(s->pool, storm_task, pack(s, i), &o, &tasks[i].future);
        if (status != SPORK_OK) violation(&s->result, TALLY_WRONG, "given: %s", spork_error());
    }
    s->given += STORM_TASKS;
    for (int i = 0; i < STORM_TASKS; i++) check_future(s, tasks[i].future, i, before + (uint64_t)i + 1);
    for (int i = 0; i < STORM_TASKS; i++) {
        for (double end = spork_time() + harness_patience_ms() / 1000.0;
             atomic_load(&tasks[i].calls) == 0 && spork_time() < end;)
            spork_sleep(1);
        if (atomic_load(&tasks[i].calls) != 1)
            violation(&s->result, atomic_load(&tasks[i].calls) > 1 ? TALLY_DUPLICATED : TALLY_WRONG, "%d callbacks",
                      atomic_load(&tasks[i].calls));
        if (s->plan->retries == 0 && s->plan->timeout_ms == 0 && pools_get(s->board, POOLS_RUNS + i) > 1)
            violation(&s->result, TALLY_DUPLICATED, "task %d ran %ld times", i, pools_get(s->board, POOLS_RUNS + i));
        if (tasks[i].told != spork_future_status(tasks[i].future)) violation(&s->result, TALLY_WRONG, "told otherwise");
        spork_future_free(tasks[i].future);
    }
}

static void give_map(storm *s, size_t chunk)
{
    int in[STORM_TASKS], out[STORM_TASKS];
    spork_status statuses[STORM_TASKS], first = SPORK_OK;
    spork_map_options o = {.chunk = chunk, .statuses = statuses};
    for (int i = 0; i < STORM_TASKS; i++) {
        in[i] = i;
        out[i] = -1;
        statuses[i] = SPORK_INTERNAL;
    }
    spork_status status = spork_pool_map(s->pool, storm_item, in, out, STORM_TASKS, &o);
    s->given++;
    for (int i = 0; i < STORM_TASKS; i++) {
        count_status(s, statuses[i], i);
        if (out[i] != (statuses[i] == SPORK_OK ? i * i : -1))
            violation(&s->result, TALLY_TORN, "item %d: %d", i, out[i]);
        if (first == SPORK_OK) first = statuses[i];
    }
    if (status != first)
        violation(&s->result, TALLY_WRONG, "a map's %s instead of %s", spork_status_name(status),
                  spork_status_name(first));
}

typedef struct source {
    const storm *storm;
    int next;
} source;

static spork_status draw(void *user, spork_args *next)
{
    source *from = user;
    if (from->next == STORM_TASKS) return SPORK_CLOSED;
    *next = pack(from->storm, from->next++);
    return SPORK_OK;
}

static void give_imap(storm *s)
{
    source from = {s, 0};
    const spork_future *result;
    spork_status status;
    spork_imap *imap = spork_pool_imap(s->pool, storm_task, draw, &from, 16, true);
    int taken = 0;
    while ((status = spork_imap_next(imap, &result, harness_patience_ms())) == SPORK_OK)
        check_future(s, result, taken++, 0);
    if (status != SPORK_CLOSED || taken != STORM_TASKS)
        violation(&s->result, TALLY_WRONG, "imap: %d, %s", taken, spork_status_name(status));
    s->given += STORM_TASKS;
    spork_imap_free(imap);
}

/* All workers at once, which are there again. */
static unsigned meet(storm *s)
{
    spork_future *futures[STORM_MOST] = {NULL};
    unsigned places = 0, place, count = 0;
    spork_task_options patient = {.timeout_ms = SPORK_FOREVER}; /* the last to come may have to be started first */
    for (unsigned i = 0; i < s->workers; i++)
        spork_pool_apply_async(s->pool, storm_meet, spork_pack(s->workers), &patient, &futures[i]);
    for (unsigned i = 0; i < s->workers; i++) {
        spork_status status = spork_future_get(futures[i], harness_patience_ms(), &place);
        if (status == SPORK_OK)
            places |= 1u << place;
        else
            violation(&s->result, status == SPORK_TIMEOUT ? TALLY_HUNG : TALLY_WRONG, "at the end: %s", spork_error());
        spork_future_free(futures[i]);
    }
    s->given += s->workers;
    for (unsigned i = 0; i < s->workers; i++) count += places >> i & 1;
    return count;
}

static bool begin(storm *s, const pool_plan *plan, unsigned workers)
{
    s->plan = plan;
    s->workers = workers;
    s->shm = spork_shm_new(pools_board_size());
    s->board = pools_board_of(s->shm);
    pools_fill(s->payload, sizeof s->payload, plan->seed);
    spork_pool_options o = {.workers = workers,
                            .initializer = pools_init,
                            .retries = plan->retries,
                            .max_tasks_per_child = plan->per_child,
                            .task_timeout_ms = plan->timeout_ms};
    o.initargs = spork_pack(s->shm);
    s->pool = spork_pool_new_with(&o);
    if (s->pool == NULL) violation(&s->result, TALLY_WRONG, "%s", spork_error());
    return s->pool != NULL;
}

static void end(storm *s)
{
    spork_pool_free(s->pool);
    pools_forget();
    spork_shm_free(s->shm);
}

static void calm_down(storm *s)
{
    pool_result *r = &s->result;
    for (unsigned i = 0; i < s->workers; i++) pools_set(s->board, ORDERS + (int)i, LIVE);
    for (int i = 0; i < 3 && s->plan->points; i++) give_tasks(s); /* those that are to die somewhere do now */
    for (unsigned i = 0; i < s->workers; i++) note_death(s, (int)i, pools_get(s->board, POOLS_PIDS + (int)i));
    r->together = meet(s);
    spork_status status = spork_pool_shutdown(s->pool, harness_patience_ms());
    if (status != SPORK_OK)
        violation(r, status == SPORK_TIMEOUT ? TALLY_HUNG : TALLY_WRONG, "the end: %s %s", spork_status_name(status),
                  spork_error());
    if (spork_pool_count(s->pool, &r->counters) != SPORK_OK) violation(r, TALLY_WRONG, "%s", spork_error());
    const spork_pool_counters *c = &r->counters;
    if (c->pending != 0 || c->submitted != c->completed + c->failed || c->submitted != s->given)
        violation(r, TALLY_WRONG, "%d given, %d completed, %d failed, %d pending", (int)c->submitted, (int)c->completed,
                  (int)c->failed, (int)c->pending);
}

pool_result pool_storm(const pool_plan *plan)
{
    storm *s = calloc(1, sizeof *s);
    if (s == NULL) abort();
    if (begin(s, plan, plan->workers > 0 ? plan->workers : STORM_WORKERS)) {
        harness_thread *killer = harness_thread_start(kill_workers, s);
        harness_budget kills = plan->kills;
        while (s->result.violations == 0 && harness_goes_on(&kills, kills_of(s))) {
            switch (s->result.rounds++ % 4) {
            case 1: give_map(s, 0); break;
            case 2: give_imap(s); break;
            case 3: give_map(s, 50); break;
            default: give_tasks(s); break;
            }
        }
        atomic_store(&s->stop, true);
        harness_thread_join(killer);
        s->result.kills = kills_of(s);
        calm_down(s);
    }
    end(s);
    pool_result result = s->result;
    free(s);
    return result;
}

/* ---- ends ---- */

/* A stopped worker does not come to its end by itself. */
static void end_somehow(storm *s, bool stopped, unsigned *random)
{
    spork_status status = SPORK_OK;
    switch (stopped ? 1 + next_random(random) % 4 : next_random(random) % 5) {
    case 0:
        status = spork_pool_close(s->pool);
        if (status == SPORK_OK) status = spork_pool_join(s->pool, harness_patience_ms());
        if (status == SPORK_TIMEOUT) violation(&s->result, TALLY_HUNG, "join: %s", spork_error());
        break;
    case 1:
        status = spork_pool_terminate(s->pool);
        if (status == SPORK_OK) status = spork_pool_join(s->pool, harness_patience_ms());
        if (status == SPORK_TIMEOUT) violation(&s->result, TALLY_HUNG, "join: %s", spork_error());
        break;
    case 2: status = spork_pool_shutdown(s->pool, 0); break;
    case 3: status = spork_pool_shutdown(s->pool, (int)(next_random(random) % 40)); break;
    default: break; /* it is only freed */
    }
    if (status != SPORK_OK && status != SPORK_TIMEOUT) violation(&s->result, TALLY_WRONG, "the end: %s", spork_error());
}

/* One pool. Its tasks end well, crash, or are closed; nothing else, and all of them. */
static void one_end(storm *s, const pool_plan *plan, unsigned *random)
{
    enum { TASKS = 24 };
    spork_future *futures[TASKS] = {NULL};
    if (!begin(s, plan, 2)) return;
    for (int i = 0; i < TASKS; i++)
        if (spork_pool_apply_async(s->pool, storm_task, pack(s, i), NULL, &futures[i]) != SPORK_OK)
            violation(&s->result, TALLY_WRONG, "given: %s", spork_error());
    bool stopped = false;
    if (next_random(random) % 2 == 0) pools_set(s->board, ORDERS, EXIT + (long)(next_random(random) % 4));
    for (double until = spork_time() + next_random(random) % 30 * 1e-3; spork_time() < until;) spork_sleep(0);
    long pid = pools_get(s->board, POOLS_PIDS + 1);
    if (next_random(random) % 2 == 0 && pid != 0) {
        stopped = next_random(random) % 4 == 0;
        if (stopped)
            pools_suspend((int)pid);
        else {
            pools_kill((int)pid);
            s->result.kills++;
        }
    }
    end_somehow(s, stopped, random);
    spork_pool_free(s->pool);
    s->pool = NULL;
    for (int i = 0; i < TASKS; i++) {
        if (spork_future_wait(futures[i], harness_patience_ms()) != SPORK_OK)
            violation(&s->result, TALLY_HUNG, "task %d does not end", i);
        spork_status status = spork_future_status(futures[i]);
        if (status == SPORK_OK)
            s->result.right++;
        else if (status == SPORK_CRASHED)
            s->result.crashed++;
        else if (status != SPORK_CLOSED)
            violation(&s->result, TALLY_WRONG, "task %d: %s", i, spork_status_name(status));
        spork_future_free(futures[i]);
    }
    s->result.kills += (int)pools_get(s->board, OBEYED);
    pools_forget();
    spork_shm_free(s->shm);
    s->shm = NULL;
}

pool_result pool_storm_of_ends(harness_budget pools, unsigned seed)
{
    storm *s = calloc(1, sizeof *s);
    if (s == NULL) abort();
    const pool_plan plan = {.seed = seed};
    unsigned random = seed;
    while (s->result.violations == 0 && harness_goes_on(&pools, s->result.rounds)) {
        one_end(s, &plan, &random);
        s->result.rounds++;
    }
    pool_result result = s->result;
    free(s);
    return result;
}
