/* Futures: what a task came to, and who wants to know. */
#include <stdio.h>
#include <string.h>

#include "../alloc.h"
#include "../error.h"
#include "../log.h"
#include "../value.h"
#include "front.h"

/* ---- the end of a task ---- */

static const char *sentence_of(const spork_future *f)
{
    return f->text != NULL ? f->text : "there was no memory for the reason";
}

static void count(spork_future *f)
{
    spork_pool *pool = f->pool;
    atomic_fetch_add(f->status == SPORK_OK ? &pool->completed : &pool->failed, 1);
    if (f->done != NULL) spork__pool_attend(pool, -1);
    if (f->errand.job.timeout_ms > 0) spork__pool_time(pool, 0);
}

/* Nobody can look at it any more, and nobody has. */
static void count_unseen(spork_future *f)
{
    spork_pool *pool = f->pool;
    if (f->status == SPORK_OK || f->status == SPORK_CLOSED || f->status == SPORK_CANCELLED || f->done != NULL) return;
    if (atomic_exchange(&f->looked, true)) return;
    if (atomic_exchange(&pool->told_first, 1) == 0)
        snprintf(pool->first, sizeof pool->first, "task %llu: %s", (unsigned long long)f->number, sentence_of(f));
    atomic_fetch_add(&pool->unseen, 1);
    spork__log(SPORK_LOG_WARNING, "%s: a task failed, and nobody looked at its result: task %llu: %s: %s", pool->name,
               (unsigned long long)f->number, spork_status_name(f->status), sentence_of(f));
}

static void note_death(spork_future *f, const spork__event *event)
{
    if (f->status == SPORK_OK || (f->death = spork__alloc(sizeof *f->death, "a death record")) == NULL) return;
    spork_death *d = f->death;
    d->exitcode = SPORK_RUNNING;
    d->task = f->number;
    d->text = sentence_of(f);
    if (event == NULL) return; /* it never began */
    d->attempt = f->errand.job.attempt;
    d->worker = event->worker;
    if (event->kind != SPORK__WORKER_GONE) {
        d->pid = f->pool->executor->kind->pid(f->pool->executor, event->worker);
        return;
    }
    d->exitcode = event->exitcode;
    d->native = event->native;
    d->pid = event->pid;
    d->peak_rss = event->peak_rss;
    d->cpu_ms = event->cpu_ms;
}

static void free_args(spork_future *f)
{
    spork__free(f->args);
    f->args = NULL;
    f->errand.job.bytes = NULL;
}

static void make_due(spork_pool *pool, spork_future *f)
{
    f->next = NULL;
    *pool->due_end = f;
    pool->due_end = &f->next;
    atomic_fetch_add(&pool->due_count, 1);
    if (pool->manual) spork__os_chime_ring(&pool->due_flag);
    if (!pool->manual) spork__pool_call_keeper(pool);
}

void spork__future_end(spork_future *f, spork_status status, char *text, const spork__event *event)
{
    spork_pool *pool = f->pool;
    f->status = status;
    f->text = text;
    pool->news = true;
    free_args(f);
    note_death(f, event);
    count(f);
    bool has_callback = f->done != NULL;
    if (has_callback) make_due(pool, f);
    if (f->imap != NULL) spork__imap_ended(f->imap, f);
    atomic_store_explicit(&f->state, SPORK__FUTURE_ENDED, memory_order_release);
    atomic_fetch_sub(&pool->pending, 1); /* last: who sees that nothing is pending sees all that has ended */
    if (!has_callback) spork__future_let_go(f);
}

/* ---- futures come and go: used ones are kept for the next ---- */

/* What was pending at once will be so again, and to give it back would be to fault it in anew, at ten times the cost of a task. So a pool
 * that once had many keeps them, some 28 MiB at most, as it does their places in the table. */
enum { SPARES = 1 << 16 };

static spork_future *new_future(spork_pool *pool)
{
    spork_future *f = pool->spare;
    if (f == NULL) f = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);
    if (f == NULL) return spork__alloc(sizeof *f, "a future");
    pool->spare = f->next;
    atomic_fetch_sub_explicit(&pool->spares, 1, memory_order_relaxed);
    return f;
}

static void keep_or_free(spork_future *f)
{
    spork_pool *pool = f->pool;
    if (atomic_fetch_add_explicit(&pool->spares, 1, memory_order_relaxed) >= SPARES) {
        atomic_fetch_sub_explicit(&pool->spares, 1, memory_order_relaxed);
        spork__free(f);
        return;
    }
    f->next = atomic_load_explicit(&pool->returned, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&pool->returned, &f->next, f, memory_order_release,
                                                  memory_order_relaxed)) {}
}

void spork__futures_free(spork_pool *pool)
{
    for (int list = 0; list < 2; list++) {
        spork_future *f = list == 0 ? pool->spare : atomic_load(&pool->returned);
        for (spork_future *next; f != NULL; f = next) {
            next = f->next;
            spork__free(f);
        }
    }
}

static void forget(spork_future *f)
{
    if (f->state == SPORK__FUTURE_ENDED) {
        count_unseen(f);
        f->pool->executor->kind->forget(f->pool->executor, &f->result);
    }
    spork__free(f->args);
    spork__free(f->death);
    spork__free(f->text);
    keep_or_free(f);
}

void spork__future_let_go(spork_future *f)
{
    spork_pool *pool = f->pool;
    bool held = f->wanted; /* whoever has it keeps the pool; what is pending does by itself */
    if (atomic_fetch_sub_explicit(&f->references, 1, memory_order_acq_rel) > 1) return;
    forget(f);
    if (held) spork__pool_let_go(pool);
}

/* ---- callbacks ---- */

static spork_future *next_due(spork_pool *pool)
{
    spork__latch_take(&pool->take);
    spork_future *f = pool->due;
    if (f != NULL) {
        pool->due = f->next;
        if (pool->due == NULL) {
            pool->due_end = &pool->due;
            if (pool->manual) spork__pool_flag_due(pool);
        }
        atomic_fetch_sub(&pool->due_count, 1);
        atomic_fetch_add(&pool->calling, 1);
    }
    spork__latch_give(&pool->take);
    return f;
}

size_t spork__callbacks_run(spork_pool *pool)
{
    size_t n = 0;
    for (spork_future *f; (f = next_due(pool)) != NULL; n++) {
        f->looked = true;
        spork__pool_enter_callback(pool);
        int before = spork__os_cancel_off();
        f->done(f, f->user);
        spork__os_cancel_restore(before);
        spork__pool_leave_callback();
        spork__future_let_go(f);
        atomic_fetch_sub(&pool->calling, 1);
    }
    if (n > 0) spork__pool_tell(pool);
    return n;
}

/* ---- giving a task ---- */

typedef struct room {
    const spork_pool *pool;
} room;

static bool has_room(void *user)
{
    const spork_pool *pool = ((const room *)user)->pool;
    return pool->max_pending == 0 || atomic_load(&pool->pending) < pool->max_pending ||
           atomic_load(&pool->standing) != SPORK__POOL_OPEN;
}

/* One more is pending, if there is room for it within that time. */
static spork_status take_room(spork_pool *pool, int timeout_ms)
{
    room r = {pool};
    spork__deadline d = {.timeout_ms = timeout_ms};
    for (;;) {
        uint64_t now = atomic_load(&pool->pending);
        spork_status status = spork__pool_is_open(pool);
        if (status != SPORK_OK) return status;
        if (pool->max_pending == 0 || now < pool->max_pending) {
            if (atomic_compare_exchange_weak(&pool->pending, &now, now + 1)) return SPORK_OK;
            continue;
        }
        if (!spork__pool_wait(pool, has_room, &r, &d))
            return spork__fail(SPORK_TIMEOUT, "%zu tasks are pending, and none has ended within %d ms",
                               pool->max_pending, timeout_ms);
    }
}

static spork_status check_options(const spork_pool *pool, const spork_task_options *o, int timeout_ms)
{
    if (timeout_ms > 0 && pool->threads)
        return spork__fail(SPORK_UNSUPPORTED, "a task of a pool of threads cannot have a timeout: nobody can end it");
    if (timeout_ms < 0) return spork__fail(SPORK_INVALID, "timeout_ms is %d", timeout_ms);
    if (o->room_timeout_ms < 0) return spork__fail(SPORK_INVALID, "room_timeout_ms is %d", o->room_timeout_ms);
    return SPORK_OK;
}

/* All but the result's own bytes, which are written before they are read. */
static void begin(spork_future *f, spork_pool *pool, spork_task_fn fn, const spork_args *args,
                  const spork_task_options *o, int timeout_ms)
{
    memset(f, 0, offsetof(spork_future, result));
    f->errand.job = (spork__job){.fn = fn, .values = args, .timeout_ms = timeout_ms > 0 ? timeout_ms : 0, .attempt = 1};
    f->pool = pool;
    f->number = ++pool->number;
    f->retries = o->retries != 0 ? o->retries : pool->retries;
    f->done = o->done;
    f->user = o->user;
    f->references = 2; /* the pool's, and ours or the user's */
    f->result.status = SPORK_OK;
    f->result.bytes = NULL;
    f->result.size = 0;
    f->result.references = 0;
    f->result.owned = NULL;
    f->result.extent_count = 0;
}

spork_status spork__pool_give(spork_pool *pool, spork_task_fn fn, const spork_args *args,
                              const spork_task_options *options, struct spork_imap *imap, spork_future **future)
{
    static const spork_task_options none;
    const spork_task_options *o = options != NULL ? options : &none;
    int timeout_ms = o->timeout_ms == SPORK_FOREVER ? 0 : o->timeout_ms != 0 ? o->timeout_ms : pool->task_timeout_ms;
    if (fn == NULL) return spork__fail(SPORK_INVALID, "the function is NULL");
    spork_status status = check_options(pool, o, timeout_ms);
    if (status == SPORK_OK)
        status = take_room(pool, o->no_wait ? 0 : o->room_timeout_ms > 0 ? o->room_timeout_ms : SPORK_FOREVER);
    if (status != SPORK_OK) return status;
    bool heard = o->done != NULL, timed = timeout_ms > 0;
    if (heard) spork__pool_attend(pool, 1);
    if (timed) spork__pool_time(pool, timeout_ms);
    spork__latch_take(&pool->give);
    spork_future *f = new_future(pool);
    status = SPORK_NO_MEMORY;
    if (f != NULL) {
        begin(f, pool, fn, args, o, timeout_ms);
        f->imap = imap;
        f->wanted = future != NULL;
        if (f->wanted) spork__pool_hold(pool);
        status = spork__errand_give(pool, &f->errand);
    }
    spork__latch_give(&pool->give);
    if (status == SPORK_OK) {
        atomic_fetch_add_explicit(&pool->submitted, 1, memory_order_relaxed);
        if (future != NULL) *future = f;
        if (future == NULL) spork__future_let_go(f);
        return SPORK_OK;
    }
    if (heard) spork__pool_attend(pool, -1);
    if (timed) spork__pool_time(pool, 0);
    atomic_fetch_sub(&pool->pending, 1);
    if (f == NULL) return status;
    bool held = f->wanted;
    forget(f);
    if (held) spork__pool_let_go(pool);
    return status;
}

spork_status spork__pool_apply_async(spork_pool *pool, spork_task_fn fn, spork_args args,
                                     const spork_task_options *options, size_t size, spork_future **future)
{
    static const char call[] = "spork_pool_apply_async";
    spork_task_options o;
    if (future != NULL) *future = NULL;
    if (options != NULL) {
        memset(&o, 0, sizeof o);
        memcpy(&o, options, size < sizeof o ? size : sizeof o);
        options = &o;
    }
    spork_status status = spork__pool_check(pool, call);
    return status == SPORK_OK ? spork__in_call(spork__pool_give(pool, fn, &args, options, NULL, future), call) : status;
}

/* ---- asking ---- */

static spork_status check(const spork_future *f, const char *call)
{
    return f == NULL ? SPORK_INVALID : spork__pool_check(f->pool, call);
}

static bool has_ended(const spork_future *f)
{
    return atomic_load_explicit(&f->state, memory_order_acquire) == SPORK__FUTURE_ENDED;
}

static bool is_ready(void *user) { return has_ended(user); }

static void look_at(const spork_future *f)
{
    atomic_store_explicit(&((spork_future *)(uintptr_t)f)->looked, true, memory_order_relaxed);
}

static spork_status wait_for(const spork_future *f, int timeout_ms)
{
    spork__deadline d = {.timeout_ms = timeout_ms};
    if (has_ended(f) || spork__pool_wait(f->pool, is_ready, (void *)(uintptr_t)f, &d)) return SPORK_OK;
    return spork__fail(SPORK_TIMEOUT, "task %llu has not ended within %d ms", (unsigned long long)f->number,
                       timeout_ms);
}

spork_status spork_future_wait(const spork_future *f, int timeout_ms)
{
    static const char call[] = "spork_future_wait";
    spork_status status = spork__timed(check(f, call), timeout_ms, call);
    return status == SPORK_OK ? spork__in_call(wait_for(f, timeout_ms), call) : status;
}

/* How it ended, as the call's own status. */
static spork_status outcome(const spork_future *f)
{
    look_at(f);
    return f->status == SPORK_OK ? SPORK_OK : spork__fail(f->status, "%s", sentence_of(f));
}

spork_status spork_future_check(const spork_future *f, int timeout_ms)
{
    static const char call[] = "spork_future_check";
    spork_status status = spork__timed(check(f, call), timeout_ms, call);
    if (status == SPORK_OK) status = spork__in_call(wait_for(f, timeout_ms), call);
    return status == SPORK_OK ? outcome(f) : status;
}

spork_status spork_future_status(const spork_future *f)
{
    spork_status status = check(f, "spork_future_status");
    if (status != SPORK_OK) return status;
    if (!has_ended(f)) spork__pool_take(f->pool, false); /* who only asks, again and again, must learn it too */
    if (!has_ended(f)) return SPORK_TIMEOUT;
    look_at(f);
    return f->status;
}

spork_status spork__future_get(const spork_future *f, int timeout_ms, size_t count_, const spork_slot *slots)
{
    static const char call[] = "spork_future_get";
    spork_args values;
    spork_status status = spork__timed(check(f, call), timeout_ms, call);
    if (status == SPORK_OK) status = spork__in_call(wait_for(f, timeout_ms), call);
    if (status != SPORK_OK) return status;
    if ((status = outcome(f)) != SPORK_OK) return status;
    status = f->pool->executor->kind->decode(f->pool->executor, &f->result, &values);
    if (status == SPORK_OK) status = spork__unpack(&values, count_, slots);
    return spork__in_call(status, call);
}

const char *spork_future_error(const spork_future *f)
{
    if (f == NULL || !has_ended(f) || f->status == SPORK_OK) return "";
    look_at(f);
    return sentence_of(f);
}

spork_status spork__future_death(const spork_future *f, spork_death *death, size_t size)
{
    static const char call[] = "spork_future_death";
    spork_status status = check(f, call);
    if (status != SPORK_OK) return status;
    if (death == NULL) return spork__fail(SPORK_INVALID, "%s: where to?", call);
    if (!has_ended(f)) return spork__fail(SPORK_BAD_STATE, "%s: the task has not ended", call);
    if (f->status == SPORK_OK) return spork__fail(SPORK_BAD_STATE, "%s: the task ended well", call);
    look_at(f);
    if (f->death == NULL) return spork__fail(SPORK_NO_MEMORY, "%s: there was no memory for it", call);
    memset(death, 0, size);
    memcpy(death, f->death, size < sizeof *death ? size : sizeof *death);
    return SPORK_OK;
}

spork_status spork_future_cancel(spork_future *f)
{
    static const char call[] = "spork_future_cancel";
    spork_status status = check(f, call);
    if (status != SPORK_OK) return status;
    spork_pool *pool = f->pool;
    spork__latch_take(&pool->take);
    bool can = !has_ended(f);
    if (can && f->errand.verdict != SPORK_CANCELLED) spork__errand_stop(pool, &f->errand, SPORK_CANCELLED);
    spork__latch_give(&pool->take);
    spork__pool_call_keeper(pool); /* a clock runs */
    spork__pool_tell(pool);
    return can ? SPORK_OK : spork__fail(SPORK_BAD_STATE, "%s: the task has ended", call);
}

void spork_future_free(spork_future *f)
{
    if (f == NULL || spork__pool_check(f->pool, "spork_future_free") != SPORK_OK) return;
    spork__future_let_go(f);
}

/* ---- one task, waited for ---- */

/* A copy that is the caller's: it begins with its args. */
static spork_status copy_result(const spork_future *f, spork_args **result)
{
    spork_args values;
    spork_status status = f->pool->executor->kind->decode(f->pool->executor, &f->result, &values);
    if (status == SPORK_OK) status = spork__values_copy(&values, result);
    if (status == SPORK_OK) (*result)->origin = spork__values_origin();
    return status;
}

static spork_status apply(spork_pool *pool, spork_task_fn fn, const spork_args *args, spork_args **result,
                          int timeout_ms)
{
    spork_future *f;
    spork__deadline d = {.timeout_ms = timeout_ms};
    spork_task_options o;
    memset(&o, 0, sizeof o);
    int left = spork__deadline_left(&d);
    o.no_wait = left == 0;
    o.room_timeout_ms = left > 0 ? left : 0;
    spork__pool_come(pool); /* before it begins: nobody else need listen */
    spork_status status = spork__pool_give(pool, fn, args, &o, NULL, &f);
    if (status == SPORK_OK) {
        status = wait_for(f, spork__deadline_left(&d));
        if (status == SPORK_TIMEOUT) {
            spork_future_cancel(f);
            spork__fail(SPORK_TIMEOUT, "the task has not ended within %d ms, and is cancelled", timeout_ms);
        } else if ((status = outcome(f)) == SPORK_OK && result != NULL)
            status = copy_result(f, result);
        spork__future_let_go(f);
    }
    spork__pool_leave(pool);
    return status;
}

spork_status spork_pool_apply(spork_pool *pool, spork_task_fn fn, spork_args args, spork_args **result, int timeout_ms)
{
    static const char call[] = "spork_pool_apply";
    if (result != NULL) *result = NULL;
    spork_status status = spork__timed(spork__pool_check(pool, call), timeout_ms, call);
    return status == SPORK_OK ? spork__in_call(apply(pool, fn, &args, result, timeout_ms), call) : status;
}

/* ---- many ---- */

typedef struct many {
    spork_future *const *futures;
    size_t count, found;
} many;

static bool any_ended(void *user)
{
    many *m = user;
    for (m->found = 0; m->found < m->count; m->found++)
        if (m->futures[m->found] != NULL && has_ended(m->futures[m->found])) return true;
    return false;
}

/* The pool of the first that is one; they may be of several. */
static spork_status check_many(spork_future *const *futures, size_t count_, spork_pool **pool, bool *mixed,
                               const char *call)
{
    *pool = NULL;
    *mixed = false;
    if (futures == NULL && count_ > 0) return spork__fail(SPORK_INVALID, "%s: the futures are NULL", call);
    for (size_t i = 0; i < count_; i++) {
        if (futures[i] == NULL) continue;
        spork_status status = spork__pool_check(futures[i]->pool, call);
        if (status != SPORK_OK) return status;
        *mixed = *mixed || (*pool != NULL && *pool != futures[i]->pool);
        *pool = futures[i]->pool;
    }
    return SPORK_OK;
}

spork_status spork_future_wait_any(spork_future *const *futures, size_t count_, int timeout_ms, size_t *index)
{
    static const char call[] = "spork_future_wait_any";
    spork_pool *pool;
    bool mixed;
    many m = {futures, count_, 0};
    spork__deadline d = {.timeout_ms = timeout_ms};
    spork_status status =
        spork__timed(check_many(futures, count_, &pool, &mixed, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    if (index == NULL) return spork__fail(SPORK_INVALID, "%s: where to?", call);
    if (pool == NULL) return spork__fail(SPORK_CLOSED, "%s: there is no future to wait for", call);
    while (!any_ended(&m)) {
        int left = spork__deadline_left(&d);
        spork__deadline soon = {.timeout_ms = mixed && (left < 0 || left > 5) ? 5 : left};
        if (!spork__pool_wait(pool, any_ended, &m, mixed ? &soon : &d) && spork__deadline_left(&d) == 0)
            return spork__fail(SPORK_TIMEOUT, "%s: none of the tasks has ended within %d ms", call, timeout_ms);
        for (size_t i = 0; mixed && i < count_; i++)
            if (futures[i] != NULL) spork__pool_take(futures[i]->pool, false);
    }
    *index = m.found;
    return SPORK_OK;
}

spork_status spork_future_wait_all(spork_future *const *futures, size_t count_, int timeout_ms)
{
    static const char call[] = "spork_future_wait_all";
    spork_pool *pool;
    bool mixed;
    spork__deadline d = {.timeout_ms = timeout_ms};
    spork_status status =
        spork__timed(check_many(futures, count_, &pool, &mixed, call), timeout_ms, call);
    for (size_t i = 0; i < count_ && status == SPORK_OK; i++)
        if (futures[i] != NULL) status = spork__in_call(wait_for(futures[i], spork__deadline_left(&d)), call);
    return status;
}

/* ---- waiting together with other things ---- */

static spork_status check_wait(const spork_wait_item *item, const char *call)
{
    spork_status status = check(item->object, call);
    if (status == SPORK_OK && item->events & SPORK_WRITE)
        return spork__fail(SPORK_INVALID, "%s: a future has nothing but SPORK_READ", call);
    return status;
}

static bool wait_is_over(const spork_wait_item *item, bool ask)
{
    const spork_future *f = item->object;
    if (!has_ended(f) && ask) spork__pool_take(f->pool, false);
    return has_ended(f);
}

static spork_native announce(const spork_wait_item *item, bool writing)
{
    spork_pool *pool = ((spork_future *)item->object)->pool;
    (void)writing;
    spork__bell_announce_polling(&pool->settled);
    spork__pool_attend(pool, 0); /* somebody has to take what ends */
    return spork__bell_handle(&pool->settled_ear);
}

static void quiet(const spork_wait_item *item, bool writing)
{
    (void)writing;
    spork__bell_quiet(&((spork_future *)item->object)->pool->settled_ear);
}

static void call_all(const spork_wait_item *item, bool writing)
{
    spork_pool *pool = ((spork_future *)item->object)->pool;
    (void)writing;
    spork__bell_call(&pool->settled, &pool->settled_ear);
}

const spork__waitable spork__future_waitable = {.kind = SPORK__WAIT_FUTURE,
                                                .check = check_wait,
                                                .ready = wait_is_over,
                                                .handle = announce,
                                                .quiet = quiet,
                                                .call = call_all};
