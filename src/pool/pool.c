/* The pool: making it and ending it, who waits, and its own thread, the keeper. */
#include <stdio.h>
#include <string.h>

#include "../alloc.h"
#include "../backoff.h"
#include "../bootstrap.h"
#include "../error.h"
#include "../log.h"
#include "../shutdown.h"
#include "../trace.h"
#include "../tree.h"
#include "front.h"

enum {
    MAGIC = 0x4C4F4F50 /* "POOL" */,
    BOUND_MS = 50,
    LOOK_MS = 20,        /* for what has no handle */
    TICK_MS = 2,         /* while tasks wait outside: they are let in by whoever gives more, or else so often */
    FREE_MS = 1000,      /* how long a free waits for threads that cannot be ended */
    MOST_WORKERS = 1024
};

/* ---- the open ones, to be ended with the process ---- */

static spork_pool *all; /* under SPORK__LOCK_OBJECTS */

static void enlist(spork_pool *pool)
{
    spork__os_lock(SPORK__LOCK_OBJECTS);
    pool->next_open = all;
    if (all != NULL) all->previous_open = pool;
    all = pool;
    spork__os_unlock(SPORK__LOCK_OBJECTS);
}

static void delist(spork_pool *pool)
{
    spork__os_lock(SPORK__LOCK_OBJECTS);
    if (pool->next_open != NULL) pool->next_open->previous_open = pool->previous_open;
    if (pool->previous_open != NULL)
        pool->previous_open->next_open = pool->next_open;
    else if (all == pool)
        all = pool->next_open;
    spork__os_unlock(SPORK__LOCK_OBJECTS);
}

/* ---- checks ---- */

static uint32_t self(void)
{
    uint32_t me = spork__tree_self_at_a_glance();
    return me != 0 ? me : spork__tree_self_known();
}

spork_status spork__pool_check(const spork_pool *pool, const char *call)
{
    if (pool == NULL) return SPORK_INVALID; /* the sentence of what made it NULL says more */
    if (pool->magic != MAGIC) return spork__fail(SPORK_INVALID, "%s: this pool was freed", call);
    if (pool->owner != self())
        return spork__fail(SPORK_NOT_YOURS, "%s: %s belongs to the process that made it, and this is a fork of that one",
                           call, pool->name);
    return SPORK_OK;
}

spork_status spork__pool_is_open(const spork_pool *pool)
{
    switch (atomic_load(&pool->standing)) {
    case SPORK__POOL_OPEN: return SPORK_OK;
    case SPORK__POOL_BROKEN:
        return spork__fail(SPORK_BROKEN, "%s", pool->reason != NULL ? pool->reason : "no worker can be started");
    default: return spork__fail(SPORK_CLOSED, "the pool takes no more tasks: it was closed");
    }
}

/* ---- locks ---- */

void spork__latch_take(spork__latch *l) { spork__robust_acquire(&l->word, l->berth, SPORK_FOREVER); }
void spork__latch_give(spork__latch *l) { spork__robust_release(&l->word, l->berth); }

/* ---- waiting, and who takes meanwhile ---- */

static _Thread_local struct {
    const spork_pool *pool;
    uint32_t times;
} taking; /* the pool that this thread waits for */
static _Thread_local const spork_pool *in_callback_of;

void spork__pool_come(spork_pool *pool)
{
    atomic_fetch_add(&pool->takers, 1);
    if (taking.pool != pool) {
        taking.pool = pool;
        taking.times = 0;
    }
    taking.times++;
}

void spork__pool_call_keeper(spork_pool *pool) { spork__os_chime_ring(&pool->call); }

/* Nobody waits any more, but somebody may want to hear. */
static void leave_to_keeper(spork_pool *pool)
{
    if (atomic_load(&pool->takers) > 0 || atomic_load(&pool->listens)) return;
    if (atomic_load(&pool->audience) > 0 || spork__bell_awaited(&pool->settled)) spork__pool_call_keeper(pool);
}

void spork__pool_leave(spork_pool *pool)
{
    if (taking.pool == pool && taking.times > 0) taking.times--;
    atomic_fetch_sub(&pool->takers, 1);
    leave_to_keeper(pool);
}

void spork__pool_attend(spork_pool *pool, int change)
{
    if (change < 0)
        atomic_fetch_sub(&pool->audience, 1);
    else
        atomic_fetch_add(&pool->audience, (uint32_t)change);
    if (change >= 0) leave_to_keeper(pool);
}

void spork__pool_time(spork_pool *pool, int timeout_ms)
{
    if (timeout_ms <= 0) {
        atomic_fetch_sub(&pool->timed, 1);
        return;
    }
    int shortest = atomic_load(&pool->shortest_ms);
    bool sooner = shortest == 0 || timeout_ms < shortest;
    while ((shortest == 0 || timeout_ms < shortest) &&
           !atomic_compare_exchange_weak(&pool->shortest_ms, &shortest, timeout_ms)) {}
    if (atomic_fetch_add(&pool->timed, 1) == 0 || sooner) spork__pool_call_keeper(pool);
}

void spork__pool_tell(spork_pool *pool)
{
    uint32_t ours = taking.pool == pool ? taking.times : 0;
    if (atomic_load(&pool->takers) > ours) spork__bell_ring(pool->executor->bell, pool->executor->ear);
    spork__bell_ring(&pool->settled, &pool->settled_ear);
}

typedef struct wish {
    spork_pool *pool;
    bool (*ready)(void *user);
    void *user;
} wish;

static uint32_t something_came(void *user)
{
    const wish *w = user;
    return w->pool->executor->kind->any(w->pool->executor) || w->ready(w->user);
}

static spork__backoff backoff;

bool spork__pool_wait(spork_pool *pool, bool (*ready)(void *user), void *user, spork__deadline *d)
{
    wish w = {pool, ready, user};
    bool fine = ready(user);
    if (fine) return true;
    if (d->timeout_ms == 0) {
        spork__pool_take(pool, false);
        return ready(user);
    }
    spork__pool_come(pool);
    for (bool look = false; !fine; look = !atomic_load(&pool->sleeps)) {
        spork__pool_take(pool, look); /* at workers only if the keeper does not: it is in a callback */
        if ((fine = ready(user))) break;
        spork__backoff_for_answer(&backoff, something_came, &w, pool->workers);
        if (something_came(&w)) continue;
        uint32_t ticket = spork__bell_announce(pool->executor->bell);
        if (something_came(&w)) continue;
        int left = spork__deadline_left(d);
        if (left == 0) break;
        spork__bell_sleep(pool->executor->bell, pool->executor->ear, ticket, left < 0 || left > BOUND_MS ? BOUND_MS : left);
    }
    spork__pool_leave(pool);
    return fine;
}

void spork__pool_enter_callback(spork_pool *pool) { in_callback_of = pool; }
void spork__pool_leave_callback(void) { in_callback_of = NULL; }

/* ---- the keeper ---- */

static bool all_has_ended(const spork_pool *pool)
{
    int standing = atomic_load(&pool->standing);
    return (standing == SPORK__POOL_CLOSED || standing == SPORK__POOL_TERMINATED) &&
           atomic_load(&pool->pending) == 0 && atomic_load(&pool->seats) == 0;
}

/* Under `take`. */
static bool is_over_now(const spork_pool *pool)
{
    bool quiet = (pool->due == NULL && atomic_load(&pool->calling) == 0) || pool->at_exit;
    return all_has_ended(pool) && quiet;
}

static bool is_over(spork_pool *pool)
{
    spork__latch_take(&pool->take);
    bool over = is_over_now(pool);
    spork__latch_give(&pool->take);
    return over;
}

void spork__pool_flag_due(spork_pool *pool)
{
    bool never = all_has_ended(pool);
    if (pool->due != NULL || never)
        spork__os_chime_ring(&pool->due_flag);
    else
        spork__os_chime_quiet(&pool->due_flag);
}

static int ms_until(uint64_t time)
{
    uint64_t now = spork__os_now();
    if (time == UINT64_MAX) return SPORK_FOREVER;
    if (time <= now) return 0;
    uint64_t ms = (time - now + 999999) / 1000000;
    return ms < 3600000 ? (int)ms : 3600000;
}

typedef struct watch {
    spork__wait_handle *handles;
    size_t room, count;
    int ms;
} watch;
enum { CALL, EVENTS, WORKERS }; /* in that order */

/* Somebody would miss it if nobody took what comes. */
static bool has_audience(const spork_pool *pool)
{
    return atomic_load(&pool->audience) > 0 || spork__bell_awaited(&pool->settled) ||
           atomic_load(&pool->up) < atomic_load(&pool->seats);
}

/* Workers that no handle would tell of: their end has to be looked for. */
static bool has_to_look(const spork_pool *pool, bool all_have_handles)
{
    if (!pool->threads) return !all_have_handles;
    return atomic_load(&pool->standing) != SPORK__POOL_OPEN || pool->tasks_end_workers ||
           atomic_load(&pool->up) < atomic_load(&pool->seats);
}

/* Under `take`. */
static void prepare(spork_pool *pool, watch *w)
{
    spork__executor *e = pool->executor;
    bool all_have_handles = true;
    w->handles[CALL] = (spork__wait_handle){.handle = pool->call.wait};
    w->handles[EVENTS] = (spork__wait_handle){.handle = spork__bell_handle(e->ear)};
    atomic_store(&pool->listens, false);
    if (atomic_load(&pool->takers) == 0 && has_audience(pool)) {
        atomic_store(&pool->listens, true);
        spork__bell_announce_polling(e->bell);
    }
    w->count = WORKERS + e->kind->handles(e, w->handles + WORKERS, w->room - WORKERS, &all_have_handles);
    w->ms = ms_until(spork__pool_next_time(pool));
    if (atomic_load(&pool->outside_count) > 0 && atomic_load(&pool->takers) == 0 && (w->ms < 0 || w->ms > TICK_MS))
        w->ms = TICK_MS;
    int look_ms = atomic_load(&pool->pending) > 0 ? e->kind->look_ms(e) : -1;
    if (look_ms >= 0 && (w->ms < 0 || w->ms > look_ms)) w->ms = look_ms;
    if (has_to_look(pool, all_have_handles) && (w->ms < 0 || w->ms > LOOK_MS)) w->ms = LOOK_MS;
    if (!all_have_handles && w->ms <= LOOK_MS) e->kind->fired(e, SIZE_MAX);
    atomic_store(&pool->sleeps, true);
}

static void sleep_a_while(spork_pool *pool, watch *w)
{
    spork__executor *e = pool->executor;
    spork__latch_take(&pool->take);
    prepare(pool, w);
    /* Who waits looks at workers, too, as long as the keeper does not sleep: the last one may have been buried since the keeper looked. Nobody
     * would wake it for that. */
    bool come = (atomic_load(&pool->listens) && e->kind->any(e)) || is_over_now(pool);
    spork__latch_give(&pool->take);
    if (!come && w->ms != 0) spork__os_wait_any(w->handles, w->count, w->ms);
    spork__at(SPORK__AT_KEEPER_AWAKE);
    spork__latch_take(&pool->take);
    atomic_store(&pool->sleeps, false);
    for (size_t i = WORKERS; i < w->count; i++)
        if (w->handles[i].fired) e->kind->fired(e, w->handles[i].item);
    spork__latch_give(&pool->take);
    if (w->handles[CALL].fired) spork__os_chime_quiet(&pool->call);
    if (w->handles[EVENTS].fired) spork__bell_quiet(e->ear);
}

static void end_keeping(spork_pool *pool)
{
    spork__latch_take(&pool->take);
    pool->executor->kind->disband(pool->executor);
    pool->disbanded = true;
    spork__pool_flag_due(pool);
    spork__latch_give(&pool->take);
    spork__trace_flush();
    bool detached = pool->free_at_end;
    atomic_store(&pool->down, true);
    spork__bell_ring(pool->executor->bell, pool->executor->ear);
    spork__bell_ring(&pool->settled, &pool->settled_ear);
    if (detached) {
        spork__os_thread_detach(&pool->keeper);
        spork__pool_let_go(pool); /* the user's */
    }
    spork__pool_let_go(pool);
}

static void keep(void *user)
{
    spork_pool *pool = user;
    spork__wait_handle few[WORKERS];
    watch w = {.room = WORKERS + pool->workers};
    spork__wait_handle *all_handles = spork__alloc(w.room * sizeof *w.handles, "a pool's handles");
    w.handles = all_handles;
    if (all_handles == NULL) { /* then workers are looked at now and then */
        w.handles = few;
        w.room = WORKERS;
    }
    for (;;) {
        spork__pool_take(pool, true);
        if (!pool->manual) spork__callbacks_run(pool);
        if (is_over(pool)) break;
        if (spork__planted(SPORK__BUG_KEEPER_DAWDLES) && atomic_load(&pool->standing) != SPORK__POOL_OPEN)
            spork__os_sleep(200);
        sleep_a_while(pool, &w);
    }
    spork__free(all_handles);
    end_keeping(pool);
}

/* ---- making ---- */

static spork_status check_options(spork_pool_options *o)
{
    if (o->workers > MOST_WORKERS)
        return spork__fail(SPORK_TOO_LARGE, "%u workers; %d is the most", o->workers, MOST_WORKERS);
    if (o->workers == 0) o->workers = (unsigned)spork_cpu_count();
    if (o->workers > MOST_WORKERS) o->workers = MOST_WORKERS;
    if (o->task_timeout_ms < 0) return spork__fail(SPORK_INVALID, "task_timeout_ms is %d", o->task_timeout_ms);
    if (o->initializer == NULL && o->initargs.count > 0)
        return spork__fail(SPORK_INVALID, "there are initargs, but no initializer");
    if (o->threads && (o->task_timeout_ms > 0 || o->max_memory > 0))
        return spork__fail(SPORK_UNSUPPORTED, "%s: a thread cannot be ended, nor have memory of its own",
                           o->max_memory > 0 ? "max_memory" : "task_timeout_ms");
    if (o->threads && o->method != SPORK_DEFAULT)
        return spork__fail(SPORK_INVALID, "a start method is for processes, and the workers are threads");
    if (o->method < SPORK_DEFAULT || o->method > SPORK_FORKSERVER)
        return spork__fail(SPORK_INVALID, "%d is no start method", (int)o->method);
    if (o->method != SPORK_DEFAULT && !spork__os_has_method(o->method))
        return spork__fail(SPORK_UNSUPPORTED, "this system has not got that start method; use SPORK_DEFAULT");
    spork__limits limits = {o->max_memory, 0, 0};
    return spork__os_check_limits(&limits);
}

static spork_status open_handles(spork_pool *pool)
{
    spork_status status = spork__os_berth_new(&pool->give.berth);
    if (status == SPORK_OK) status = spork__os_berth_new(&pool->take.berth);
    if (status == SPORK_OK) status = spork__os_berth_new(&pool->settled_ear.berth);
    if (status == SPORK_OK) status = spork__os_flag_new(&pool->settled_ear.chime);
    if (status == SPORK_OK) status = spork__os_flag_new(&pool->call);
    if (status == SPORK_OK && pool->manual) status = spork__os_flag_new(&pool->due_flag);
    return status;
}

static void close_handles(spork_pool *pool)
{
    spork__os_handle_close(pool->give.berth);
    spork__os_handle_close(pool->take.berth);
    spork__os_handle_close(pool->settled_ear.berth);
    spork__os_chime_close(&pool->settled_ear.chime);
    spork__os_chime_close(&pool->call);
    spork__os_chime_close(&pool->due_flag);
}

static void destroy(spork_pool *pool)
{
    spork__os_lock(SPORK__LOCK_START);
    close_handles(pool);
    spork__os_unlock(SPORK__LOCK_START);
    if (pool->executor != NULL) pool->executor->kind->close(pool->executor);
    pool->magic = 0;
    spork__futures_free(pool);
    spork__free(pool->chairs);
    spork__free(pool->reason);
    spork__free_late(pool);
}

static void end_with_the_process(void);

static spork_status fill(spork_pool *pool, const spork_pool_options *o)
{
    static atomic_uint pools;
    snprintf(pool->name, sizeof pool->name, "Pool-%u", atomic_fetch_add(&pools, 1) + 1);
    pool->owner = spork__tree_self();
    if (pool->owner == 0) return spork_last_status();
    pool->workers = o->workers;
    pool->retries = o->retries;
    pool->task_timeout_ms = o->task_timeout_ms;
    pool->max_pending = o->max_pending;
    pool->manual = o->manual_callbacks;
    pool->threads = o->threads;
    pool->tasks_end_workers = o->max_tasks_per_child > 0;
    pool->outside_end = &pool->outside;
    pool->due_end = &pool->due;
    if ((pool->chairs = spork__alloc(o->workers * sizeof *pool->chairs, "a pool's workers")) == NULL)
        return SPORK_NO_MEMORY;
    spork__os_lock(SPORK__LOCK_START);
    spork_status status = open_handles(pool);
    spork__os_unlock(SPORK__LOCK_START);
    if (status != SPORK_OK) return status;
    pool->executor = spork__local_open(o, pool->name, &pool->call);
    if (pool->executor == NULL) return spork_last_status();
    spork__at_shutdown(end_with_the_process);
    spork__waitable_add(&spork__future_waitable);
    spork__waitable_add(&spork__pool_waitable);
    pool->magic = MAGIC;
    pool->references = 2; /* the user's, the keeper's */
    return spork__os_thread_start(&pool->keeper, &(spork__thread_work){.fn = keep, .user = pool},
                                  pool->name, true);
}

static spork_pool *new_pool(void)
{
    spork_pool *pool = spork__alloc(sizeof *pool, "a pool");
    if (pool == NULL) return NULL;
    spork_native *const handles[] = {&pool->give.berth,          &pool->take.berth,
                                     &pool->settled_ear.berth,   &pool->settled_ear.chime.wait,
                                     &pool->settled_ear.chime.ring, &pool->call.wait,
                                     &pool->call.ring,           &pool->due_flag.wait,
                                     &pool->due_flag.ring};
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++) *handles[i] = SPORK__NO_HANDLE;
    return pool;
}

spork_pool *spork__pool_new(const spork_pool_options *options, size_t size)
{
    static const char call[] = "spork_pool_new";
    spork_pool_options o;
    memset(&o, 0, sizeof o);
    if (options == NULL) {
        spork__fail(SPORK_INVALID, "spork_pool_new_with: the options are NULL");
        return NULL;
    }
    memcpy(&o, options, size < sizeof o ? size : sizeof o);
    spork_status status = check_options(&o);
    if (status == SPORK_OK) status = spork__bootstrap_check(call);
    spork_pool *pool = status == SPORK_OK ? new_pool() : NULL;
    if (pool == NULL) {
        spork__fail_in(spork_last_status(), "%s", call);
        return NULL;
    }
    status = fill(pool, &o);
    if (status == SPORK_OK) {
        enlist(pool);
        return pool;
    }
    spork__fail_in(status, "%s", call);
    destroy(pool);
    return NULL;
}

spork_pool *spork_pool_new(unsigned workers)
{
    spork_pool_options o;
    memset(&o, 0, sizeof o);
    o.workers = workers;
    return spork__pool_new(&o, sizeof o);
}

unsigned spork_pool_workers(const spork_pool *pool)
{
    return spork__pool_check(pool, "spork_pool_workers") == SPORK_OK ? pool->workers : 0;
}

/* ---- ending ---- */

void spork__pool_hold(spork_pool *pool) { atomic_fetch_add_explicit(&pool->references, 1, memory_order_relaxed); }

void spork__pool_let_go(spork_pool *pool)
{
    if (atomic_fetch_sub_explicit(&pool->references, 1, memory_order_acq_rel) == 1) destroy(pool);
}

void spork__pool_stand(spork_pool *pool, spork__standing standing)
{
    spork__latch_take(&pool->give);
    int now = atomic_load(&pool->standing);
    if (now == SPORK__POOL_BROKEN && standing == SPORK__POOL_CLOSED) standing = SPORK__POOL_TERMINATED;
    if ((int)standing > now) atomic_store(&pool->standing, (int)standing);
    spork__latch_give(&pool->give);
    spork__pool_call_keeper(pool);
    spork__pool_tell(pool); /* who waits for room */
}

spork_status spork_pool_close(spork_pool *pool)
{
    spork_status status = spork__pool_check(pool, "spork_pool_close");
    if (status == SPORK_OK) spork__pool_stand(pool, SPORK__POOL_CLOSED);
    return status;
}

spork_status spork_pool_terminate(spork_pool *pool)
{
    spork_status status = spork__pool_check(pool, "spork_pool_terminate");
    if (status != SPORK_OK) return status;
    spork__pool_stand(pool, SPORK__POOL_TERMINATED);
    if (!atomic_load(&pool->sleeps)) spork__pool_take(pool, true); /* the keeper may be in a callback */
    return SPORK_OK;
}

static bool is_down(void *user) { return atomic_load(&((spork_pool *)user)->down); }

static bool is_due_or_down(void *user)
{
    return is_down(user) || atomic_load(&((spork_pool *)user)->due_count) > 0;
}

/* Until it is down; runs what is due meanwhile, if nobody else does. */
static bool wait_down(spork_pool *pool, spork__deadline *d)
{
    while (!is_down(pool)) {
        if (!spork__pool_wait(pool, pool->manual ? is_due_or_down : is_down, pool, d)) return false;
        if (pool->manual && spork__callbacks_run(pool) > 0) spork__pool_call_keeper(pool);
    }
    return true;
}

static spork_status tell_unseen(spork_pool *pool)
{
    uint64_t unseen = atomic_load(&pool->unseen);
    if (unseen == 0) return SPORK_OK;
    return spork__fail(SPORK_FAILED, "%llu of the tasks failed, and nobody looked at them; the first was %s",
                       (unsigned long long)unseen, pool->first);
}

static spork_status own_callback(const spork_pool *pool)
{
    return in_callback_of == pool
               ? spork__fail(SPORK_BAD_STATE, "a callback of the pool would wait for itself")
               : SPORK_OK;
}

spork_status spork_pool_join(spork_pool *pool, int timeout_ms)
{
    static const char call[] = "spork_pool_join";
    spork__deadline d = {.timeout_ms = timeout_ms};
    spork_status status = spork__timed(spork__pool_check(pool, call), timeout_ms, call);
    if (status == SPORK_OK) status = spork__in_call(own_callback(pool), call);
    if (status != SPORK_OK) return status;
    int standing = atomic_load(&pool->standing);
    if (standing != SPORK__POOL_CLOSED && standing != SPORK__POOL_TERMINATED)
        return spork__fail(SPORK_BAD_STATE, "%s: it would wait for ever: spork_pool_close or _terminate comes first",
                           call);
    if (!wait_down(pool, &d))
        return spork__fail(SPORK_TIMEOUT, "%s: %llu tasks are pending after %d ms", call,
                           (unsigned long long)atomic_load(&pool->pending), timeout_ms);
    return spork__in_call(tell_unseen(pool), call);
}

/* Those that run are asked. */
static void ask_all(spork_pool *pool)
{
    spork__latch_take(&pool->take);
    pool->executor->kind->ask_all(pool->executor);
    spork__latch_give(&pool->take);
}

spork_status spork_pool_shutdown(spork_pool *pool, int deadline_ms)
{
    static const char call[] = "spork_pool_shutdown";
    spork_status status = spork__timed(spork__pool_check(pool, call), deadline_ms, call);
    if (status != SPORK_OK) return status;
    spork_pool_close(pool);
    if (in_callback_of == pool) {
        spork__latch_take(&pool->take);
        if (deadline_ms >= 0) pool->end_at = spork__os_now() + (uint64_t)deadline_ms * 1000000;
        spork__latch_give(&pool->take);
        return SPORK_OK;
    }
    spork__deadline most = {.timeout_ms = deadline_ms < 0 ? SPORK_FOREVER : deadline_ms - deadline_ms / 4};
    spork__deadline rest = {.timeout_ms = deadline_ms < 0 ? SPORK_FOREVER : deadline_ms / 4};
    bool done = wait_down(pool, &most);
    if (!done) {
        ask_all(pool);
        done = wait_down(pool, &rest);
    }
    if (done) return spork__in_call(tell_unseen(pool), call);
    spork__deadline end = {.timeout_ms = BOUND_MS};
    spork__latch_take(&pool->take);
    pool->at_once = true;
    spork__latch_give(&pool->take);
    spork_pool_terminate(pool);
    wait_down(pool, &end);
    return spork__fail(SPORK_TIMEOUT, "%s: not all was done within %d ms, and what was left was ended", call,
                       deadline_ms);
}

static void join_keeper(spork_pool *pool)
{
    if (!atomic_exchange(&pool->joined, true)) spork__os_thread_join(&pool->keeper);
}

void spork_pool_free(spork_pool *pool)
{
    if (spork__pool_check(pool, "spork_pool_free") != SPORK_OK) return;
    delist(pool);
    if (in_callback_of == pool) { /* the keeper frees it, when the callback has returned */
        pool->free_at_end = true;
        spork_pool_terminate(pool);
        return;
    }
    spork_pool_terminate(pool);
    spork__deadline d = {.timeout_ms = pool->threads ? FREE_MS : SPORK_FOREVER};
    if (wait_down(pool, &d))
        join_keeper(pool);
    else {
        spork__log(SPORK_LOG_WARNING, "%s: a task goes on in a thread of a pool that was freed", pool->name);
        spork__os_thread_detach(&pool->keeper);
    }
    spork__pool_let_go(pool);
}

/* One after another: those that are left open. */
static void end_with_the_process(void)
{
    uint32_t me = self();
    for (;;) {
        spork__os_lock(SPORK__LOCK_OBJECTS);
        spork_pool *pool = all;
        while (pool != NULL && (pool->owner != me || atomic_load(&pool->down) || pool->at_exit)) pool = pool->next_open;
        if (pool != NULL) {
            pool->at_exit = true;
            spork__pool_hold(pool);
        }
        spork__os_unlock(SPORK__LOCK_OBJECTS);
        if (pool == NULL) return;
        spork__deadline d = {.timeout_ms = FREE_MS};
        spork_pool_terminate(pool);
        if (spork__pool_wait(pool, is_down, pool, &d)) join_keeper(pool);
        spork__pool_let_go(pool);
    }
}

/* ---- callbacks in a loop of the user's ---- */

static spork_status check_manual(spork_pool *pool, const char *call)
{
    spork_status status = spork__pool_check(pool, call);
    if (status == SPORK_OK && !pool->manual)
        return spork__fail(SPORK_BAD_STATE, "%s: the callbacks of this pool run on its own thread; make it with "
                                            ".manual_callbacks",
                           call);
    return status;
}

static bool will_never_be_due(const spork_pool *pool)
{
    return atomic_load(&pool->standing) != SPORK__POOL_OPEN && atomic_load(&pool->pending) == 0;
}

static bool is_due_or_never(void *user) { return is_due_or_down(user) || will_never_be_due(user); }

spork_status spork_pool_poll(spork_pool *pool, int timeout_ms)
{
    static const char call[] = "spork_pool_poll";
    spork__deadline d = {.timeout_ms = timeout_ms};
    spork_status status = spork__timed(check_manual(pool, call), timeout_ms, call);
    if (status == SPORK_OK) status = spork__in_call(own_callback(pool), call);
    while (status == SPORK_OK) {
        if (spork__callbacks_run(pool) > 0) {
            spork__pool_call_keeper(pool);
            return SPORK_OK;
        }
        if (will_never_be_due(pool)) return spork__fail(SPORK_CLOSED, "%s: there will be no more callbacks", call);
        if (!spork__pool_wait(pool, is_due_or_never, pool, &d))
            return spork__fail(SPORK_TIMEOUT, "%s: no callback is due within %d ms", call, timeout_ms);
    }
    return status;
}

spork_native spork_pool_handle(spork_pool *pool)
{
    return check_manual(pool, "spork_pool_handle") == SPORK_OK ? pool->due_flag.wait : SPORK__NO_HANDLE;
}

static spork_status check_wait(const spork_wait_item *item, const char *call)
{
    spork_status status = check_manual(item->object, call);
    if (status == SPORK_OK && item->events & SPORK_WRITE)
        return spork__fail(SPORK_INVALID, "%s: a pool has nothing but SPORK_READ", call);
    return status;
}

static bool wait_is_over(const spork_wait_item *item, bool ask)
{
    spork_pool *pool = item->object;
    if (ask) spork__pool_take(pool, false);
    return atomic_load(&pool->due_count) > 0 || atomic_load(&pool->down);
}

static spork_native handle_of(const spork_wait_item *item, bool writing)
{
    (void)writing;
    return ((spork_pool *)item->object)->due_flag.wait;
}

const spork__waitable spork__pool_waitable = {
    .kind = SPORK__WAIT_POOL, .check = check_wait, .ready = wait_is_over, .handle = handle_of};

/* ---- numbers ---- */

spork_status spork__pool_count(spork_pool *pool, spork_pool_counters *counters, size_t size)
{
    static const char call[] = "spork_pool_count";
    spork_status status = spork__pool_check(pool, call);
    if (status != SPORK_OK) return status;
    if (counters == NULL) return spork__fail(SPORK_INVALID, "%s: where to?", call);
    spork__pool_take(pool, false);
    spork_pool_counters c = {.submitted = atomic_load(&pool->submitted),
                             .completed = atomic_load(&pool->completed),
                             .failed = atomic_load(&pool->failed),
                             .crashed = atomic_load(&pool->crashed),
                             .retried = atomic_load(&pool->retried),
                             .replaced = atomic_load(&pool->replaced),
                             .pending = atomic_load(&pool->pending),
                             .workers = atomic_load(&pool->up)};
    memset(counters, 0, size);
    memcpy(counters, &c, size < sizeof c ? size : sizeof c);
    return SPORK_OK;
}
