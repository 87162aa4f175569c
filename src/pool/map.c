/* Map: the items lie in the executor's memory, and helpers, one for each worker, do them chunk by chunk. A helper that is lost with its worker is given
 * again, and the item that was under way with it has its attempt counted; so is one whose worker leaves, for it has done as many chunks as it may.
 * What is claimed and not done, because its claimer died, stays pending: when no helper is left, what is pending, or shall be retried, makes a list, and
 * the helpers do that, item by item. */
#include <stdio.h>
#include <string.h>

#include "../alloc.h"
#include "../copy.h"
#include "../deadline.h"
#include "../error.h"
#include "../trace.h"
#include "crew.h"
#include "front.h"

enum {
    PROGRESS_MS = 50,
    FRUITLESS = 100 /* workers that die in a row before their first item: the map ends, for the last one's reason */
};

/* An item that did not end as it should: how often its worker died or its time was over, and what is known. */
typedef struct mishap {
    uint64_t item;
    unsigned attempts;
    spork_status status; /* SPORK_OK: it will be tried again */
    char *text;
    struct mishap *next;
} mishap;

typedef struct helper {
    spork__errand errand; /* first */
    struct map *map;
    spork__result result;
} helper;

typedef struct map {
    spork_pool *pool;
    spork__run run;
    helper *helpers;
    unsigned count, retries;
    spork__deadline deadline; /* of all of it */
    /* under `take` */
    _Atomic unsigned at_work;
    mishap *mishaps;
    bool stopping;
    spork_status fate;  /* of what is still pending when it stops, */
    char *why;          /* and the reason, if a worker told one */
    unsigned fruitless; /* workers that died in a row */
    uint64_t first_failed;
    char *first_text;
    bool no_memory;
} map;

static helper *helper_of(spork__errand *errand) { return (helper *)errand; }
static unsigned mark_of(const map *m, uint64_t item)
{
    return atomic_load_explicit(&m->run.marks[item], memory_order_acquire);
}

/* ---- what helpers say ---- */

static mishap *mishap_of(map *m, uint64_t item)
{
    for (mishap *at = m->mishaps; at != NULL; at = at->next)
        if (at->item == item) return at;
    mishap *fresh = spork__alloc(sizeof *fresh, "what became of an item");
    if (fresh == NULL) {
        m->no_memory = true;
        return NULL;
    }
    fresh->item = item;
    fresh->next = m->mishaps;
    return m->mishaps = fresh;
}

static bool is_retryable(const spork_pool *pool) { return atomic_load(&pool->standing) < SPORK__POOL_BROKEN; }

/* One more attempt has gone wrong: it is done again (the number of the next one), or that is its end (0). `died`: the worker's last sentence;
 * NULL: it lives. */
static unsigned note_mishap(map *m, uint64_t item, spork_status status, const char *died)
{
    char text[700];
    mishap *at = mishap_of(m, item);
    if (at == NULL || at->status != SPORK_OK) return 0;
    spork__free(at->text);
    if (status == SPORK_DEADLINE)
        snprintf(text, sizeof text, "it ran longer than its timeout of %d ms%s%s", m->run.plan.timeout_ms,
                 died != NULL ? ": " : "", died != NULL ? died : "");
    else
        snprintf(text, sizeof text, "%s", died);
    at->text = spork__strdup(text, "a sentence");
    if (++at->attempts > m->retries || !is_retryable(m->pool) || m->stopping) {
        at->status = m->stopping ? m->fate : status;
        return 0;
    }
    atomic_fetch_add(&m->pool->retried, 1);
    return at->attempts + 1;
}

/* The item with which a worker died. Between items it had none: then no attempt is lost. */
static void item_lost(map *m, const spork__event *event)
{
    if (event->item >= m->run.plan.count || mark_of(m, event->item) != SPORK__ITEM_PENDING) return;
    atomic_fetch_add(&m->pool->crashed, 1);
    spork__trace_mark(m->pool->name, event->worker, "crash", event->item, 0);
    unsigned next = note_mishap(m, event->item, event->status, event->text);
    if (next != 0) spork__trace_mark(m->pool->name, event->worker, "retry", event->item, next);
}

/* Helpers have stopped items, and gone on. No helper is at work. */
static void note_stopped(map *m)
{
    for (size_t i = 0; m->run.plan.timeout_ms > 0 && i < m->run.plan.count; i++)
        if (mark_of(m, i) == SPORK__ITEM_STOPPED) note_mishap(m, i, SPORK_DEADLINE, NULL);
}

/* Of the items that failed by themselves the first one's reason is kept. */
static void note_failure(map *m, const spork__result *r)
{
    if (r->status == SPORK_OK || r->bytes == NULL || r->item >= m->first_failed) return;
    m->first_failed = r->item;
    spork__free(m->first_text);
    m->first_text = spork__strdup(r->bytes, "a sentence");
}

static void stop_with(map *m, spork_status fate)
{
    if (!m->stopping) m->fate = fate;
    m->stopping = true;
}

/* It could not begin any item, nor would another one: its function is not to be found there, say. */
static void give_up(map *m, spork_status status, const char *why)
{
    if (!m->stopping && why != NULL) m->why = spork__strdup(why, "a sentence");
    stop_with(m, status);
}

/* A helper that was lost, or came back with nothing. */
static void note_fruitless(map *m, const spork__event *event, const spork__result *r)
{
    if (event->kind == SPORK__WORKER_GONE) {
        m->fruitless = event->item != UINT64_MAX ? 0 : m->fruitless + 1;
        if (m->fruitless == FRUITLESS) give_up(m, event->status, event->text);
        return;
    }
    m->fruitless = 0;
    if (r->status != SPORK_OK && r->item == UINT64_MAX) give_up(m, r->status, r->bytes);
}

spork__result *spork__map_result(spork__errand *errand) { return &helper_of(errand)->result; }

void spork__map_helper_ended(spork__errand *errand, const spork__event *event)
{
    helper *h = helper_of(errand);
    map *m = h->map;
    spork_pool *pool = m->pool;
    if (errand->verdict != SPORK_OK) stop_with(m, errand->verdict);
    if (event->kind == SPORK__WORKER_GONE) {
        if (atomic_load(&pool->standing) == SPORK__POOL_TERMINATED) stop_with(m, SPORK_CLOSED);
        item_lost(m, event);
    } else if (event->began != 0)
        spork__trace_task(pool->name, event->worker, event->began, event->ended, 0, errand->job.attempt, SPORK_OK);
    note_failure(m, &h->result);
    note_fruitless(m, event, &h->result);
    if (errand->given) pool->executor->kind->drop(pool->executor, &errand->job);
    pool->executor->kind->forget(pool->executor, &h->result);
    memset(&h->result, 0, sizeof h->result);
    errand->given = false;
    pool->news = true;
    bool more = event->kind == SPORK__WORKER_GONE || pool->executor->kind->run_left(pool->executor, &m->run);
    if (more && !m->stopping)
        spork__errand_give_again(pool, errand);
    else
        atomic_fetch_sub(&m->at_work, 1);
}

/* ---- running ---- */

static bool nobody_works(void *user) { return atomic_load(&((map *)user)->at_work) == 0; }

static spork_status send_helpers(map *m, size_t items)
{
    size_t chunks = (items + m->run.plan.chunk - 1) / m->run.plan.chunk;
    for (unsigned i = 0; i < m->count && i < chunks; i++) {
        helper *h = &m->helpers[i];
        h->errand = (spork__errand){.is_helper = true};
        h->errand.job = (spork__job){.run = &m->run, .timeout_ms = m->run.plan.timeout_ms, .attempt = 1};
        h->map = m;
        atomic_fetch_add(&m->at_work, 1);
        spork__latch_take(&m->pool->give);
        spork_status status = spork__errand_give(m->pool, &h->errand);
        spork__latch_give(&m->pool->give);
        if (status == SPORK_OK) continue;
        atomic_fetch_sub(&m->at_work, 1);
        if (i == 0) return status; /* those that were sent do all the work */
        break;
    }
    return SPORK_OK;
}

static void stop_helpers(map *m, spork_status verdict)
{
    spork_pool *pool = m->pool;
    spork__latch_take(&pool->take);
    stop_with(m, verdict);
    pool->executor->kind->run_stop(pool->executor, &m->run);
    for (unsigned i = 0; i < m->count; i++) spork__errand_stop(pool, &m->helpers[i].errand, verdict); /* or it has ended */
    spork__latch_give(&pool->take);
    spork__pool_call_keeper(pool);
}

/* The workers go on meanwhile, with what is this call's. */
static void tell_progress(const spork_map_options *o, size_t done, size_t count)
{
    int before = spork__os_cancel_off();
    o->progress(done, count, o->user);
    spork__os_cancel_restore(before);
}

static void report(const map *m, const spork_map_options *o, size_t *told)
{
    size_t done = m->pool->executor->kind->run_done(m->pool->executor, &m->run);
    if (o->progress == NULL || done <= *told || done >= m->run.plan.count) return; /* the last word comes at the end */
    *told = done;
    tell_progress(o, done, m->run.plan.count);
}

static void await_helpers(map *m, const spork_map_options *o, size_t *told)
{
    while (!nobody_works(m)) {
        int left = m->stopping ? SPORK_FOREVER : spork__deadline_left(&m->deadline);
        if (left == 0) {
            stop_helpers(m, SPORK_DEADLINE);
            continue;
        }
        int ms = o->progress != NULL && (left < 0 || left > PROGRESS_MS) ? PROGRESS_MS : left;
        spork__deadline slice = {.timeout_ms = ms};
        spork__pool_wait(m->pool, nobody_works, m, &slice);
        report(m, o, told);
    }
}

static const mishap *known_of(const map *m, uint64_t item)
{
    const mishap *at = m->mishaps;
    while (at != NULL && at->item != item) at = at->next;
    return at;
}

/* What came to nothing yet and shall be done again; its attempt. 0: it shall not. */
static uint32_t next_attempt(const map *m, uint64_t item)
{
    unsigned mark = mark_of(m, item);
    if (mark != SPORK__ITEM_PENDING && mark != SPORK__ITEM_STOPPED) return 0;
    const mishap *known = known_of(m, item);
    return known == NULL ? 1 : known->status == SPORK_OK ? known->attempts + 1 : 0;
}

/* NULL with *count 0: nothing is to be done again; else for want of memory. */
static spork__again *list_again(const map *m, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < m->run.plan.count; i++) *count += next_attempt(m, i) != 0;
    spork__again *list = *count > 0 ? spork__alloc(*count * sizeof *list, "a list of items") : NULL;
    if (list == NULL) return NULL;
    spork__again *end = list;
    for (size_t i = 0; i < m->run.plan.count; i++)
        if (next_attempt(m, i) != 0) *end++ = (spork__again){(uint32_t)i, next_attempt(m, i)};
    return list;
}

static spork_status run_list(map *m, const spork__again *list, size_t count)
{
    spork_status status = list != NULL ? SPORK_TIMEOUT : SPORK_NO_MEMORY;
    while (status == SPORK_TIMEOUT) {
        spork__latch_take(&m->pool->give);
        status = m->pool->executor->kind->run_again(m->pool->executor, &m->run, list, count);
        spork__latch_give(&m->pool->give);
        if (status == SPORK_TIMEOUT && atomic_load(&m->pool->standing) > SPORK__POOL_CLOSED) return SPORK_CLOSED;
        if (status == SPORK_TIMEOUT && spork__deadline_left(&m->deadline) == 0) return SPORK_DEADLINE;
        if (status == SPORK_TIMEOUT) spork__os_sleep(1); /* others give room back */
    }
    m->run.plan.chunk = 1;
    return status == SPORK_OK ? send_helpers(m, count) : status;
}

static spork_status run_all(map *m, const spork_map_options *o)
{
    size_t told = 0;
    spork_status status = send_helpers(m, m->run.plan.count);
    while (status == SPORK_OK) {
        size_t count;
        await_helpers(m, o, &told);
        note_stopped(m);
        if (m->stopping) break;
        spork__again *list = list_again(m, &count);
        if (count == 0) break;
        status = run_list(m, list, count);
        spork__free(list);
    }
    if (status != SPORK_OK) stop_with(m, status);
    return status;
}

/* ---- the result ---- */

static spork_status status_of(const map *m, uint64_t item, const char **text)
{
    *text = NULL;
    switch (mark_of(m, item)) {
    case SPORK__ITEM_DONE: return SPORK_OK;
    case SPORK__ITEM_FAILED:
        if (item == m->first_failed) *text = m->first_text;
        return SPORK_FAILED;
    default: break;
    }
    const mishap *known = known_of(m, item);
    if (known != NULL && known->status != SPORK_OK) {
        *text = known->text;
        return known->status;
    }
    if (m->fate != SPORK_OK) *text = m->why;
    return m->fate != SPORK_OK ? m->fate : m->no_memory ? SPORK_NO_MEMORY : SPORK_INTERNAL;
}

static spork_status collect(const map *m, void *out, const spork_map_options *o)
{
    char why[400] = "";
    const spork__run_plan *p = &m->run.plan;
    size_t failed = 0, first = 0, ended = 0;
    spork_status first_status = SPORK_OK;
    for (size_t i = 0; i < p->count; i++) {
        const char *text;
        spork_status status = status_of(m, i, &text);
        if (o->statuses != NULL) o->statuses[i] = status;
        ended += mark_of(m, i) != SPORK__ITEM_PENDING || text != NULL;
        if (status == SPORK_OK) {
            if (p->out_size > 0)
                spork__copy((char *)out + i * p->out_size,
                            (const char *)m->run.out + i * p->out_size, p->out_size);
            continue;
        }
        if (failed++ > 0) continue;
        first = i;
        first_status = status;
        if (text == NULL && status == SPORK_BROKEN) text = m->pool->reason;
        snprintf(why, sizeof why, "%s", text != NULL ? text : spork_status_name(status));
    }
    if (o->progress != NULL) tell_progress(o, ended, p->count);
    atomic_fetch_add(failed == 0 ? &m->pool->completed : &m->pool->failed, 1);
    if (failed == 0) return SPORK_OK;
    return spork__fail(first_status, "%zu of %zu items did not end well; the first is item %zu: %s", failed, p->count,
                       first, why);
}

/* ---- the call ---- */

static spork_status open_run(map *m)
{
    spork_status status;
    do {
        status = spork__pool_is_open(m->pool);
        if (status != SPORK_OK) return status;
        spork__latch_take(&m->pool->give);
        status = m->pool->executor->kind->run_open(m->pool->executor, &m->run);
        if (status == SPORK_OK) m->pool->number++; /* it counts as one */
        spork__latch_give(&m->pool->give);
        if (status != SPORK_TIMEOUT) break;
        if (spork__deadline_left(&m->deadline) == 0)
            return spork__fail(SPORK_DEADLINE, "no room for the items in the pool's memory within %d ms",
                               m->deadline.timeout_ms);
        spork__pool_take(m->pool, false);
        spork__os_sleep(1); /* other maps are under way, or keep what they need */
    } while (true);
    return status == SPORK_TOO_LARGE ? spork__fail_in(SPORK_NO_SPACE, "no room for the items") : status;
}

static void free_map(map *m)
{
    for (mishap *at = m->mishaps, *next; at != NULL; at = next) {
        next = at->next;
        spork__free(at->text);
        spork__free(at);
    }
    spork__free(m->first_text);
    spork__free(m->why);
    spork__free(m->helpers);
}

static spork_status run_map(map *m, void *out, const spork_map_options *o)
{
    m->helpers = spork__alloc(m->count * sizeof *m->helpers, "a map");
    if (m->helpers == NULL) return SPORK_NO_MEMORY;
    spork_status status = open_run(m);
    if (status != SPORK_OK) return status;
    atomic_fetch_add(&m->pool->submitted, 1);
    if (m->run.plan.timeout_ms > 0) spork__pool_time(m->pool, m->run.plan.timeout_ms);
    run_all(m, o);
    if (m->run.plan.timeout_ms > 0) spork__pool_time(m->pool, 0);
    status = collect(m, out, o);
    spork__latch_take(&m->pool->give);
    m->pool->executor->kind->run_close(m->pool->executor, &m->run);
    spork__latch_give(&m->pool->give);
    return status;
}

static spork_status check(spork_pool *pool, const spork__run_plan *p, const void *out, const spork_map_options *o)
{
    if (p->fn == NULL) return spork__fail(SPORK_INVALID, "the function is NULL");
    if ((p->in == NULL && p->in_size > 0) || (out == NULL && p->out_size > 0))
        return spork__fail(SPORK_INVALID, "an array is NULL");
    if (p->context == NULL && p->context_size > 0) return spork__fail(SPORK_INVALID, "the context is NULL");
    if (o->deadline_ms < 0) return spork__fail(SPORK_INVALID, "deadline_ms is %d", o->deadline_ms);
    size_t each = p->in_size > p->out_size ? p->in_size : p->out_size;
    if (p->count > UINT32_MAX || (each > 0 && p->count > SIZE_MAX / 4 / each))
        return spork__fail(SPORK_TOO_LARGE, "%zu items", p->count);
    return spork__pool_is_open(pool);
}

spork_status spork__pool_map(spork_pool *pool, spork_item_fn fn, const void *in, size_t in_size, void *out,
                             size_t out_size, size_t count, const spork_map_options *options, size_t size)
{
    static const char call[] = "spork_pool_map";
    spork_map_options o;
    map m;
    memset(&o, 0, sizeof o);
    if (options != NULL) memcpy(&o, options, size < sizeof o ? size : sizeof o);
    spork_status status = spork__pool_check(pool, call);
    if (status != SPORK_OK) return status;
    memset(&m, 0, sizeof m);
    size_t chunk = o.chunk != 0 ? o.chunk : count / ((size_t)pool->workers * 8);
    m.run.plan = (spork__run_plan){fn,        in,
                                   in_size,   out_size,
                                   count,     chunk > 0 ? chunk : 1,
                                   o.context, o.context_size,
                                   pool->task_timeout_ms};
    m.pool = pool;
    m.count = pool->workers;
    m.retries = pool->retries;
    m.deadline.timeout_ms = o.deadline_ms > 0 ? o.deadline_ms : SPORK_FOREVER;
    m.first_failed = UINT64_MAX;
    status = check(pool, &m.run.plan, out, &o);
    if (status == SPORK_OK && count == 0 && o.progress != NULL) o.progress(0, 0, o.user);
    if (status == SPORK_OK && count > 0) {
        atomic_fetch_add(&pool->pending, 1);
        spork__pool_hold(pool);
        spork__pool_come(pool);
        status = run_map(&m, out, &o);
        spork__pool_leave(pool);
        atomic_fetch_sub(&pool->pending, 1);
        spork__pool_call_keeper(pool); /* it may have waited for that */
        spork__pool_tell(pool);
        free_map(&m);
        spork__pool_let_go(pool);
    }
    return spork__in_call(status, call);
}
