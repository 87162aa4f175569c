/* imap: a window of tasks that moves over a source. The source is asked on the caller's thread, so many times as there is room in the window. */
#include <stdio.h>
#include <string.h>

#include "../alloc.h"
#include "../error.h"
#include "front.h"

struct spork_imap {
    spork_pool *pool;
    spork_task_fn fn;
    spork_source source;
    void *user;
    bool ordered;
    size_t window, first, count; /* of the futures below: the oldest, and how many are not taken yet */
    spork_future *current;       /* the caller's until the next call */
    bool has_args;               /* drawn, and not given yet */
    spork_args args;
    spork_status end; /* what the source, or the pool, said last; SPORK_OK: there is more */
    char why[512];
    /* under `take`: those that have ended, in that order (unordered) */
    spork_future *ended, **ended_end;
    _Atomic size_t ended_count;
    spork_future *futures[]; /* ordered: a ring; else in no order */
};

spork_imap *spork_pool_imap(spork_pool *pool, spork_task_fn fn, spork_source source, void *user, size_t window,
                            bool ordered)
{
    static const char call[] = "spork_pool_imap";
    if (spork__pool_check(pool, call) != SPORK_OK) return NULL;
    if (fn == NULL || source == NULL) {
        spork__fail(SPORK_INVALID, "%s: the %s is NULL", call, fn == NULL ? "function" : "source");
        return NULL;
    }
    if (window == 0) window = 2 * (size_t)pool->workers;
    if (window > UINT32_MAX) {
        spork__fail(SPORK_INVALID, "%s: a window of %zu tasks", call, window);
        return NULL;
    }
    spork_imap *m = spork__alloc(sizeof *m + window * sizeof *m->futures, "an imap");
    if (m == NULL) return NULL;
    m->pool = pool;
    m->fn = fn;
    m->source = source;
    m->user = user;
    m->window = window;
    m->ordered = ordered;
    m->ended_end = &m->ended;
    spork__pool_hold(pool);
    return m;
}

void spork__imap_ended(spork_imap *m, spork_future *f)
{
    if (m->ordered) return;
    f->next = NULL;
    *m->ended_end = f;
    m->ended_end = &f->next;
    atomic_fetch_add(&m->ended_count, 1);
}

/* ---- in ---- */

static void stop_drawing(spork_imap *m, spork_status status)
{
    m->end = status;
    snprintf(m->why, sizeof m->why, "%s", spork_error());
}

/* Draws once, if nothing is drawn already. */
static bool draw(spork_imap *m)
{
    if (m->has_args) return true;
    m->args = SPORK_NO_ARGS;
    spork_status status = m->source(m->user, &m->args);
    if (status == SPORK_OK) return m->has_args = true;
    if (status == SPORK_CLOSED)
        spork__fail(SPORK_CLOSED, "the source has no more");
    else if (spork_last_status() != status)
        spork__fail(status, "the source said %s", spork_status_name(status));
    stop_drawing(m, status);
    return false;
}

/* What is drawn goes into the pool, unless others fill it: then it waits here, as long as something of ours is under way. */
static bool give(spork_imap *m, spork__deadline *d)
{
    spork_future *f;
    spork_task_options o;
    memset(&o, 0, sizeof o);
    int left = spork__deadline_left(d);
    o.no_wait = m->count > 0 || left == 0;
    o.room_timeout_ms = left > 0 ? left : 0;
    spork_status status = spork__pool_give(m->pool, m->fn, &m->args, &o, m, &f);
    if (status == SPORK_TIMEOUT) return false;
    m->has_args = false;
    if (status != SPORK_OK) {
        stop_drawing(m, status);
        return false;
    }
    m->futures[m->ordered ? (m->first + m->count) % m->window : m->count] = f;
    m->count++;
    return true;
}

/* ---- out ---- */

static bool has_ended(const spork_future *f)
{
    return atomic_load_explicit(&f->state, memory_order_acquire) == SPORK__FUTURE_ENDED;
}

static bool is_ready(void *user)
{
    const spork_imap *m = user;
    return m->ordered ? has_ended(m->futures[m->first]) : atomic_load(&m->ended_count) > 0;
}

static spork_future *take_ordered(spork_imap *m)
{
    spork_future *f = m->futures[m->first];
    m->first = (m->first + 1) % m->window;
    return f;
}

static spork_future *take_ended(spork_imap *m)
{
    spork__latch_take(&m->pool->take);
    spork_future *f = m->ended;
    m->ended = f->next;
    if (m->ended == NULL) m->ended_end = &m->ended;
    atomic_fetch_sub(&m->ended_count, 1);
    spork__latch_give(&m->pool->take);
    for (size_t i = 0; i < m->count; i++)
        if (m->futures[i] == f) m->futures[i] = m->futures[m->count - 1];
    return f;
}

static spork_status next(spork_imap *m, int timeout_ms)
{
    spork__deadline d = {.timeout_ms = timeout_ms};
    while (m->end == SPORK_OK && m->count < m->window && draw(m) && give(m, &d)) {}
    if (m->count == 0 && m->end != SPORK_OK) return spork__fail(m->end, "%s", m->why);
    if (m->count == 0) return spork__fail(SPORK_TIMEOUT, "no room for a task within %d ms", timeout_ms);
    if (!is_ready(m) && !spork__pool_wait(m->pool, is_ready, m, &d))
        return spork__fail(SPORK_TIMEOUT, "no result within %d ms", timeout_ms);
    m->current = m->ordered ? take_ordered(m) : take_ended(m);
    m->current->looked = true;
    m->count--;
    return SPORK_OK;
}

spork_status spork_imap_next(spork_imap *m, const spork_future **result, int timeout_ms)
{
    static const char call[] = "spork_imap_next";
    if (result != NULL) *result = NULL;
    if (m == NULL) return SPORK_INVALID;
    spork_status status = spork__timed(spork__pool_check(m->pool, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    if (result == NULL) return spork__fail(SPORK_INVALID, "%s: where to?", call);
    if (m->current != NULL) spork__future_let_go(m->current);
    m->current = NULL;
    spork__pool_come(m->pool); /* what ends meanwhile is taken here */
    status = next(m, timeout_ms);
    spork__pool_leave(m->pool);
    *result = m->current;
    return spork__in_call(status, call);
}

static spork_future *future_at(const spork_imap *m, size_t i)
{
    return m->futures[m->ordered ? (m->first + i) % m->window : i];
}

/* First those that have not begun, lest they do when others stop. */
static void cancel_all(spork_imap *m)
{
    spork__latch_take(&m->pool->take);
    for (size_t i = 0; i < m->count; i++) {
        spork_future *f = future_at(m, i);
        f->imap = NULL;
        f->looked = true;
        if (!has_ended(f)) spork__errand_keep_back(m->pool, &f->errand, SPORK_CANCELLED);
    }
    for (size_t i = 0; i < m->count; i++)
        if (!has_ended(future_at(m, i))) spork__errand_stop(m->pool, &future_at(m, i)->errand, SPORK_CANCELLED);
    spork__latch_give(&m->pool->take);
}

void spork_imap_free(spork_imap *m)
{
    if (m == NULL || spork__pool_check(m->pool, "spork_imap_free") != SPORK_OK) return;
    spork_pool *pool = m->pool;
    cancel_all(m);
    spork__pool_call_keeper(pool);
    for (size_t i = 0; i < m->count; i++) spork__future_let_go(future_at(m, i));
    if (m->current != NULL) spork__future_let_go(m->current);
    spork__free(m);
    spork__pool_let_go(pool);
}
