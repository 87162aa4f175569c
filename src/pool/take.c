/* What became of tasks, and of workers: the policy of a pool. All of it under `take`. */
#include <stdio.h>
#include <string.h>

#include "../alloc.h"
#include "../error.h"
#include "../log.h"
#include "../trace.h"
#include "front.h"

enum {
    GRACE_MS = 100,   /* from each step of stopping to the next */
    LOOK_PART = 8,    /* it is looked for tasks that have begun to run against time every 1/8 of the shortest timeout, */
    LOOK_MOST_MS = 1000, /* or so often */
    FAILURES = 5,     /* starts that fail in a row, with no worker alive, before the pool is given up */
    BACK_OFF_MS = 10, /* after the first of them; twice as long each time, up to: */
    BACK_OFF_MOST_MS = 1000
};
#define NEVER UINT64_MAX

static uint64_t after(uint64_t now, int ms) { return now + (uint64_t)ms * 1000000; }
static spork__errand *errand_of(spork__job *job) { return (spork__errand *)job; }
static int standing(const spork_pool *pool) { return atomic_load(&pool->standing); }

/* ---- tasks that end ---- */

static spork__result *result_of(spork__job *job)
{
    spork__errand *errand = errand_of(job);
    return errand->is_helper ? spork__map_result(errand) : &spork__future_of(errand)->result;
}

static char *copy_of(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = spork__alloc(size, "a sentence");
    if (copy != NULL) memcpy(copy, text, size);
    return copy;
}

/* Why a task ends as it was decided; in `text` where a number belongs into it. */
static const char *word_for(spork_status verdict, const spork__job *job, char text[64])
{
    switch (verdict) {
    case SPORK_CANCELLED: return "it was cancelled";
    case SPORK_CLOSED: return "the pool was terminated before it had ended";
    case SPORK_DEADLINE: snprintf(text, 64, "it ran longer than its timeout of %d ms", job->timeout_ms); return text;
    default: return "no worker can be started";
    }
}

static bool may_retry(spork_pool *pool, const spork_future *f, spork_status status)
{
    return f->retries > 0 && standing(pool) < SPORK__POOL_BROKEN &&
           (status == SPORK_CRASHED || status == SPORK_OVER_LIMIT || status == SPORK_DEADLINE);
}

static void retry(spork_pool *pool, spork_future *f, const spork__event *event)
{
    f->retries--;
    f->errand.verdict = SPORK_OK;
    f->errand.job.attempt++;
    atomic_fetch_add(&pool->retried, 1);
    spork__trace_mark(pool->name, event->worker, "retry", f->number, f->errand.job.attempt);
    spork__errand_give_again(pool, &f->errand);
}

/* Its place in the executor is free from here on. */
static void end_future(spork_pool *pool, spork_future *f, spork_status status, char *text, const spork__event *event)
{
    if (f->errand.given) pool->executor->kind->drop(pool->executor, &f->errand.job);
    f->errand.given = false;
    spork__future_end(f, status, text, event);
}

static void task_ended(spork_pool *pool, spork__event *event)
{
    spork_future *f = spork__future_of(errand_of(event->job));
    spork_status status = f->errand.verdict != SPORK_OK ? f->errand.verdict : f->result.status;
    char *text = NULL, word[64];
    spork__trace_task(pool->name, event->worker, event->began, event->ended, f->number, f->errand.job.attempt, status);
    if (f->errand.verdict != SPORK_OK || status != SPORK_OK) {
        text = copy_of(f->errand.verdict != SPORK_OK ? word_for(status, event->job, word) : (const char *)f->result.bytes);
        pool->executor->kind->forget(pool->executor, &f->result);
    }
    if (may_retry(pool, f, status)) {
        spork__free(text);
        retry(pool, f, event);
        return;
    }
    end_future(pool, f, status, text, event);
}

static void stop_is_over(spork_pool *pool, unsigned worker, const spork__job *job)
{
    spork__stopping *s = &pool->chairs[worker].stopping;
    if (s->job == job) s->job = NULL;
}

static void job_ended(spork_pool *pool, spork__event *event)
{
    spork__errand *errand = errand_of(event->job);
    stop_is_over(pool, event->worker, event->job);
    if (errand->is_helper)
        spork__map_helper_ended(errand, event);
    else
        task_ended(pool, event);
}

/* ---- tasks that are lost with their worker ---- */

static void task_lost(spork_pool *pool, spork__event *event)
{
    char text[700], word[64];
    spork_future *f = spork__future_of(errand_of(event->job));
    spork_status status = f->errand.verdict != SPORK_OK ? f->errand.verdict : event->status;
    spork__trace_mark(pool->name, event->worker, "crash", f->number, f->errand.job.attempt);
    if (may_retry(pool, f, status)) {
        retry(pool, f, event);
        return;
    }
    if (f->errand.verdict != SPORK_OK)
        snprintf(text, sizeof text, "%s: %s", word_for(status, event->job, word), event->text);
    else
        snprintf(text, sizeof text, "%s (attempt %u)", event->text, f->errand.job.attempt);
    end_future(pool, f, status, copy_of(text), event);
}

/* ---- the pool is given up ---- */

typedef struct giving_up {
    spork_pool *pool;
    spork_status status;
    const char *text;
} giving_up;

/* One that has not begun. */
static void end_unbegun(spork_pool *pool, spork__errand *errand, spork_status status, const char *text)
{
    spork__event none = {.kind = SPORK__JOB_ENDED, .exitcode = SPORK_RUNNING};
    errand->verdict = status;
    none.status = status;
    none.job = &errand->job;
    if (errand->is_helper)
        spork__map_helper_ended(errand, &none);
    else
        end_future(pool, spork__future_of(errand), status, copy_of(text), NULL);
}

static void give_up_one(spork__job *job, void *user)
{
    const giving_up *g = user;
    spork__errand *errand = errand_of(job);
    if (errand->verdict == SPORK_OK) errand->verdict = g->status;
    if (g->pool->executor->kind->withdraw(g->pool->executor, job)) end_unbegun(g->pool, errand, errand->verdict, g->text);
}

static void give_up_all(spork_pool *pool, spork_status status, const char *text)
{
    giving_up g = {pool, status, text};
    for (spork__errand *errand; (errand = spork__errands_empty(pool)) != NULL;) end_unbegun(pool, errand, status, text);
    pool->executor->kind->each(pool->executor, give_up_one, &g);
}

static void break_pool(spork_pool *pool, const char *why)
{
    char text[700];
    int open = SPORK__POOL_OPEN, closed = SPORK__POOL_CLOSED;
    snprintf(text, sizeof text, "no worker of the pool can be started: %s", why);
    pool->reason = copy_of(text);
    if (!atomic_compare_exchange_strong(&pool->standing, &open, SPORK__POOL_BROKEN)) {
        /* Closed meanwhile: it ends, and all its tasks fail. */
        atomic_compare_exchange_strong(&pool->standing, &closed, SPORK__POOL_TERMINATED);
    }
    spork__log(SPORK_LOG_ERROR, "%s: %s", pool->name, text);
    give_up_all(pool, SPORK_BROKEN, text);
}

/* ---- workers ---- */

static void start_failed(spork_pool *pool, const char *why)
{
    uint64_t now = spork__os_now();
    int ms = BACK_OFF_MS;
    pool->failures++;
    for (unsigned i = 1; i < pool->failures && ms < BACK_OFF_MOST_MS; i++) ms *= 2;
    pool->start_after = after(now, ms < BACK_OFF_MOST_MS ? ms : BACK_OFF_MOST_MS);
    spork__log(SPORK_LOG_INFO, "%s: a worker could not be started: %s", pool->name, why);
    if (pool->failures >= FAILURES && atomic_load(&pool->up) == 0 && standing(pool) < SPORK__POOL_BROKEN)
        break_pool(pool, why);
}

static void leave_chair(spork_pool *pool, unsigned worker)
{
    spork__chair *chair = &pool->chairs[worker];
    if (chair->seat == SPORK__SEAT_UP) atomic_fetch_sub(&pool->up, 1);
    if (chair->seat != SPORK__SEAT_EMPTY) atomic_fetch_sub(&pool->seats, 1);
    chair->seat = SPORK__SEAT_EMPTY;
    chair->stopping.job = NULL;
}

static void worker_up(spork_pool *pool, const spork__event *event)
{
    spork__chair *chair = &pool->chairs[event->worker];
    if (chair->seat != SPORK__SEAT_STARTING) return;
    chair->seat = SPORK__SEAT_UP;
    pool->failures = 0;
    pool->start_after = 0;
    atomic_fetch_add(&pool->up, 1);
    if (chair->ever) {
        atomic_fetch_add(&pool->replaced, 1);
        spork__trace_mark(pool->name, event->worker, "replacement", 0, 0);
    }
    chair->ever = true;
    int pid = pool->executor->kind->pid(pool->executor, event->worker);
    spork__trace_worker(pool->name, event->worker, pid != 0 ? pid : event->pid);
}

static void worker_gone(spork_pool *pool, spork__event *event)
{
    const spork__stopping *s = &pool->chairs[event->worker].stopping;
    bool for_an_item = s->job != NULL && s->job == event->job && s->item != UINT64_MAX;
    if (for_an_item && s->item == event->item)
        event->status = SPORK_DEADLINE;
    else if (for_an_item && s->how == SPORK__STOP_KILL) /* doomed, but it had gone on to another, which is innocent */
        event->item = UINT64_MAX;
    if (event->was_up) worker_up(pool, event); /* if that was not known yet */
    leave_chair(pool, event->worker);
    pool->news = true;
    if (event->job != NULL) {
        if (errand_of(event->job)->is_helper)
            spork__map_helper_ended(errand_of(event->job), event);
        else {
            atomic_fetch_add(&pool->crashed, 1);
            task_lost(pool, event);
        }
    }
    if (!event->was_up && standing(pool) < SPORK__POOL_TERMINATED) start_failed(pool, event->text);
}

/* Workers are wanted as long as tasks may come, or are there. */
static bool wants_workers(const spork_pool *pool)
{
    int now = standing(pool);
    return now == SPORK__POOL_OPEN || (now == SPORK__POOL_CLOSED && atomic_load(&pool->pending) > 0);
}

static void start_workers(spork_pool *pool, uint64_t now)
{
    for (unsigned i = 0; i < pool->workers && wants_workers(pool) && now >= pool->start_after; i++) {
        spork__chair *chair = &pool->chairs[i];
        if (chair->seat != SPORK__SEAT_EMPTY) continue;
        chair->seat = SPORK__SEAT_STARTING;
        chair->begun = now;
        atomic_fetch_add(&pool->seats, 1);
        if (pool->executor->kind->start(pool->executor, i) == SPORK_OK) continue;
        leave_chair(pool, i);
        start_failed(pool, spork_error());
    }
}

/* ---- stopping ---- */

static void begin_to_stop(spork_pool *pool, unsigned worker, spork__job *job, uint64_t item, uint64_t now)
{
    pool->chairs[worker].stopping = (spork__stopping){job, item, now, SPORK__STOP_ASK};
}

/* One step further, if it is time. */
static void go_on_stopping(spork_pool *pool, unsigned worker, uint64_t now)
{
    spork__stopping *s = &pool->chairs[worker].stopping;
    if (s->job == NULL || now < s->next) return;
    if (!pool->executor->kind->stop(pool->executor, worker, s->job, s->item, s->how)) {
        s->job = NULL; /* it has ended, and will be told; or cannot be stopped */
        return;
    }
    s->next = s->how == SPORK__STOP_KILL || !pool->executor->kills ? NEVER : after(now, GRACE_MS);
    if (s->how != SPORK__STOP_KILL) s->how++;
}

bool spork__errand_keep_back(spork_pool *pool, spork__errand *errand, spork_status verdict)
{
    char word[64];
    if (!spork__errand_take_back(pool, errand) && !pool->executor->kind->withdraw(pool->executor, &errand->job))
        return false;
    end_unbegun(pool, errand, verdict, word_for(verdict, &errand->job, word));
    return true;
}

void spork__errand_stop(spork_pool *pool, spork__errand *errand, spork_status verdict)
{
    unsigned worker;
    if (spork__errand_keep_back(pool, errand, verdict)) return;
    errand->verdict = verdict;
    if (!pool->executor->kind->where(pool->executor, &errand->job, &worker)) return; /* it has just ended */
    uint64_t now = spork__os_now();
    begin_to_stop(pool, worker, &errand->job, UINT64_MAX, now);
    go_on_stopping(pool, worker, now);
}

/* When the task of that worker is past its time; NEVER: it has none. */
static uint64_t due_of(const spork_pool *pool, unsigned worker, spork__job **job, uint64_t *item)
{
    uint64_t began = 0;
    const spork__chair *chair = &pool->chairs[worker];
    *job = NULL;
    if (chair->seat != SPORK__SEAT_UP || chair->stopping.job != NULL) return NEVER;
    *job = pool->executor->kind->running(pool->executor, worker, &began, item);
    return *job != NULL && began != 0 ? after(began, (*job)->timeout_ms) : NEVER;
}

static void look_at_clocks(spork_pool *pool, uint64_t now)
{
    for (unsigned i = 0; i < pool->workers; i++) {
        spork__job *job;
        uint64_t item = UINT64_MAX;
        if (now >= due_of(pool, i, &job, &item) && errand_of(job)->verdict == SPORK_OK) {
            if (item == UINT64_MAX) errand_of(job)->verdict = SPORK_DEADLINE;
            begin_to_stop(pool, i, job, item, now);
        }
        go_on_stopping(pool, i, now);
    }
}

/* When to look again for tasks that have begun meanwhile and run against time: workers do not tell it, since it would cost each of them a system
 * call; so an end may come an eighth of the timeout late. */
static uint64_t next_look(const spork_pool *pool, uint64_t now)
{
    int ms = atomic_load(&pool->shortest_ms) / LOOK_PART;
    if (atomic_load(&pool->timed) == 0) return NEVER;
    return after(now, ms < 1 ? 1 : ms > LOOK_MOST_MS ? LOOK_MOST_MS : ms);
}

uint64_t spork__pool_next_time(const spork_pool *pool)
{
    uint64_t now = spork__os_now(), first = next_look(pool, now);
    bool empty = false, starting = false;
    for (unsigned i = 0; i < pool->workers; i++) {
        spork__job *job;
        uint64_t item, due = due_of(pool, i, &job, &item);
        const spork__chair *chair = &pool->chairs[i];
        if (chair->stopping.job != NULL) due = chair->stopping.next;
        if (due < first) first = due;
        empty = empty || chair->seat == SPORK__SEAT_EMPTY;
        starting = starting || chair->seat == SPORK__SEAT_STARTING;
    }
    if (empty && wants_workers(pool) && pool->start_after < first) first = pool->start_after;
    if (starting && after(now, 1000) < first) first = after(now, 1000); /* it may take too long */
    if (pool->kill_at != 0 && pool->kill_at < first) first = pool->kill_at;
    if (pool->end_at != 0 && pool->end_at < first) first = pool->end_at;
    return first;
}

/* ---- the end ---- */

static void look_after_the_end(spork_pool *pool, uint64_t now)
{
    const spork__executor_kind *kind = pool->executor->kind;
    if (pool->end_at != 0 && now >= pool->end_at) {
        pool->end_at = 0;
        pool->at_once = true;
        spork__pool_stand(pool, SPORK__POOL_TERMINATED);
    }
    int now_standing = standing(pool);
    if (now_standing == SPORK__POOL_TERMINATED && !pool->ending) {
        pool->ending = true;
        kind->end(pool->executor, SPORK__STOP_ASK);
        give_up_all(pool, SPORK_CLOSED, word_for(SPORK_CLOSED, NULL, NULL));
        if (!pool->at_once) kind->end(pool->executor, SPORK__STOP_TERMINATE);
        pool->kill_at = after(now, GRACE_MS);
    }
    if (pool->ending && pool->at_once) {
        pool->at_once = false;
        pool->kill_at = now;
    }
    if (pool->kill_at != 0 && now >= pool->kill_at) {
        kind->end(pool->executor, SPORK__STOP_KILL);
        pool->kill_at = after(now, GRACE_MS); /* again, for one that was just being started */
    }
    bool over = now_standing == SPORK__POOL_CLOSED || now_standing == SPORK__POOL_BROKEN;
    if (over && atomic_load(&pool->pending) == 0 && !pool->finishing) {
        pool->finishing = true;
        kind->finish(pool->executor);
    }
}

/* ---- all of it ---- */

static void let_in(spork_pool *pool)
{
    spork_status why = SPORK_OK;
    if (atomic_load(&pool->outside_count) == 0) return;
    for (spork__errand *failed; (failed = spork__errands_move(pool, &why)) != NULL;)
        end_unbegun(pool, failed, why, spork_error());
}

/* What had not ended when the pool was terminated is closed, whatever has come of it meanwhile. */
static void close_late(spork_pool *pool, const spork__event *event)
{
    if (event->job == NULL || standing(pool) != SPORK__POOL_TERMINATED) return;
    spork__errand *errand = errand_of(event->job);
    if (errand->verdict == SPORK_OK) errand->verdict = SPORK_CLOSED;
}

static void handle(spork_pool *pool, spork__event *event)
{
    close_late(pool, event);
    switch (event->kind) {
    case SPORK__WORKER_UP: worker_up(pool, event); break;
    case SPORK__WORKER_GONE: worker_gone(pool, event); break;
    default: job_ended(pool, event); break;
    }
}

void spork__pool_take(spork_pool *pool, bool look)
{
    spork__event event;
    spork__latch_take(&pool->take);
    look = look && !pool->disbanded && !atomic_load(&pool->sleeps); /* the keeper sleeps on handles that a look could close */
    /* While it is in a callback, nobody is told by handles which worker has ended. */
    if (look && atomic_load(&pool->calling) > 0) pool->executor->kind->fired(pool->executor, SIZE_MAX);
    while (pool->executor->kind->next(pool->executor, &event, look, result_of)) handle(pool, &event);
    let_in(pool);
    if (look) {
        uint64_t now = spork__os_now();
        look_after_the_end(pool, now);
        start_workers(pool, now);
        look_at_clocks(pool, now);
    }
    bool news = pool->news;
    bool is_last = news && !look && standing(pool) != SPORK__POOL_OPEN && atomic_load(&pool->pending) == 0;
    pool->news = false;
    spork__latch_give(&pool->take);
    if (is_last) spork__pool_call_keeper(pool); /* to dismiss the workers */
    if (news) spork__pool_tell(pool);
}
