/* Threads. Who waits for one, waits for its state: all ends ring the same bell, in this process' own memory. What has returned is then joined by
 * the system's means, by one of those who wait, so that nothing of it runs any more when the others go on.
 *
 *     NEW -> RUNNING -> RETURNED -> JOINING -> JOINED
 *
 * States change under SPORK__LOCK_THREADS. The object goes with the user's free and with the thread itself, whichever comes last. */
#include "threads.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "bell.h"
#include "deadline.h"
#include "error.h"
#include "object.h"
#include "value.h"

typedef enum state { NEW, RUNNING, RETURNED, JOINING, JOINED } state;

struct spork_thread {
    int owner; /* the process that made it */
    _Atomic int state;
    bool freed, daemon, foreign; /* foreign: not ours to join or free */
    char *name;
    spork_target target;
    int (*run)(void *self, const spork_args *args);
    void *self;
    spork_args *args;
    int code;
    void (*at_cut_short)(void *user);
    void *cut_short_user;
    spork__os_thread os;
    struct spork_thread *next, *previous;
};

static struct {
    spork_thread *first; /* all that were started, until they are joined, or return when nobody will join them */
    unsigned count;      /* names: Thread-N */
    bool can_wait;       /* the berth below is there */
} all;                   /* under SPORK__LOCK_THREADS */

static spork__bell ended;
static spork__ear ear = {SPORK__NO_HANDLE, {SPORK__NO_HANDLE, SPORK__NO_HANDLE}};

static spork_thread main_thread = {.foreign = true, .state = RUNNING, .name = (char *)"MainThread", .code = SPORK_RUNNING};
static _Thread_local spork_thread *current;
static _Thread_local struct {
    spork_thread thread;
    char name[24];
} dummy;

/* ---- making ---- */

static void destroy(spork_thread *t)
{
    spork__values_free_copy(t->args);
    spork__free(t->self);
    spork__free(t->name);
    spork__free(t);
}

static char *make_name(const char *wish)
{
    char name[32];
    if (wish != NULL) return spork__strdup(wish, "a thread's name");
    spork__os_lock(SPORK__LOCK_THREADS);
    unsigned number = ++all.count;
    spork__os_unlock(SPORK__LOCK_THREADS);
    snprintf(name, sizeof name, "Thread-%u", number);
    return spork__strdup(name, "a thread's name");
}

static spork_status check_options(const spork_thread_options *o)
{
    static const char call[] = "spork_thread_new_with";
    if (o->target == NULL && o->run == NULL)
        return spork__fail(SPORK_INVALID, "%s: there is neither a target nor a run to execute", call);
    if (o->target != NULL && o->run != NULL)
        return spork__fail(SPORK_INVALID, "%s: target and run exclude each other", call);
    if (o->self_size > 0 && (o->self == NULL || o->run == NULL))
        return spork__fail(SPORK_INVALID, "%s: self needs both the struct and run", call);
    return SPORK_OK;
}

static spork_status check_objects(const spork_args *args)
{
    spork_status moved = spork__objects_check_moved(args);
    if (moved != SPORK_OK) return moved;
    for (unsigned i = 0; i < args->count; i++) {
        const spork_item *item = &args->items[i];
        if (item->kind < SPORK__KIND_OBJECT) continue;
        spork_status status = spork__objects_check(item, i + 1);
        if (status != SPORK_OK) return status;
        if (item->flags & (SPORK__FLAG_PUT_ONLY | SPORK__FLAG_GET_ONLY))
            return spork__fail(SPORK_UNSUPPORTED,
                               "argument %u is a queue with a role, but roles are of processes, and a thread shares the "
                               "queue: pass it plain, and let spork_queue_close end it",
                               i + 1);
    }
    return SPORK_OK;
}

static spork_status fill(spork_thread *t, const spork_thread_options *o)
{
    t->owner = spork__os_getpid();
    t->daemon = o->daemon;
    t->target = o->target;
    t->run = o->run;
    t->code = SPORK_RUNNING;
    if ((t->name = make_name(o->name)) == NULL) return SPORK_NO_MEMORY;
    if (o->self_size > 0) {
        if ((t->self = spork__alloc(o->self_size, "a thread's self")) == NULL) return SPORK_NO_MEMORY;
        memcpy(t->self, o->self, o->self_size);
    }
    spork_status status = check_objects(&o->args);
    return status == SPORK_OK ? spork__values_copy(&o->args, &t->args) : status;
}

spork_thread *spork__thread_new(const spork_thread_options *options, size_t size)
{
    spork_thread_options o;
    if (options == NULL) {
        spork__fail(SPORK_INVALID, "spork_thread_new_with: the options are NULL");
        return NULL;
    }
    memset(&o, 0, sizeof o);
    memcpy(&o, options, size < sizeof o ? size : sizeof o);
    if (check_options(&o) != SPORK_OK) return NULL;
    spork_thread *t = spork__alloc(sizeof *t, "a thread");
    if (t == NULL) return NULL;
    spork_status status = fill(t, &o);
    if (status == SPORK_OK) return t;
    spork__fail_in(status, "spork_thread_new(%s)", t->name != NULL ? t->name : "");
    destroy(t);
    return NULL;
}

spork_thread *spork_thread_new(spork_target target, spork_args args)
{
    spork_thread_options options;
    memset(&options, 0, sizeof options);
    options.target = target;
    options.args = args;
    return spork__thread_new(&options, sizeof options);
}

/* ---- running ---- */

static void list_add(spork_thread *t)
{
    t->previous = NULL;
    t->next = all.first;
    if (all.first != NULL) all.first->previous = t;
    all.first = t;
}

static void list_remove(spork_thread *t)
{
    if (t->next != NULL) t->next->previous = t->previous;
    if (t->previous != NULL)
        t->previous->next = t->next;
    else
        all.first = t->next;
}

static bool is_moved(const spork_item *item)
{
    return item->kind >= SPORK__KIND_OBJECT && item->flags & SPORK__FLAG_MOVE;
}

/* What was moved into the thread belongs to its args; the rest was lent. */
static void own_moved(spork_args *args, bool own)
{
    for (unsigned i = 0; i < args->count; i++)
        if (is_moved(&args->items[i])) spork__object_own(&args->items[i], own);
}

static void release_moved(spork_args *args)
{
    for (unsigned i = 0; i < args->count; i++)
        if (is_moved(&args->items[i])) spork__object_drop(&args->items[i]);
}

static void finish(spork_thread *t, int code)
{
    if (t->owner != spork__os_getpid()) return; /* it has forked, and we are the child: nothing of this is ours */
    release_moved(t->args);
    spork__os_lock(SPORK__LOCK_THREADS);
    t->code = code;
    t->state = RETURNED;
    bool alone = t->freed;
    if (alone) {
        list_remove(t);
        spork__os_thread_detach(&t->os);
    }
    spork__os_unlock(SPORK__LOCK_THREADS);
    if (alone) {
        current = NULL;
        destroy(t);
    }
    spork__bell_ring(&ended, &ear);
}

static void run(void *user)
{
    spork_thread *t = user;
    current = t;
    finish(t, t->run != NULL ? t->run(t->self, t->args) : t->target(t->args));
}

static void cut_short(void *user)
{
    const spork_thread *t = user;
    void (*fn)(void *) = t->at_cut_short;
    void *its = t->cut_short_user;
    finish(user, SPORK_EXIT_UNKNOWN);
    if (fn != NULL) fn(its);
}

void spork__thread_at_cut_short(spork_thread *t, void (*fn)(void *user), void *user)
{
    if (t == NULL) return;
    t->at_cut_short = fn;
    t->cut_short_user = user;
}

static spork_status check(const spork_thread *t, const char *call)
{
    if (t == NULL) return SPORK_INVALID; /* the sentence of what made it NULL says more */
    if (t->foreign)
        return spork__fail(SPORK_BAD_STATE, "%s(%s): it was not made by spork_thread_new", call, t->name);
    if (t->owner != spork__os_getpid())
        return spork__fail(SPORK_NOT_YOURS,
                           "%s(%s): it belongs to process %d, which made it, and this is a fork of that one", call,
                           t->name, t->owner);
    return SPORK_OK;
}

/* Under the lock: a thread that ends at once waits for it before it says so. */
static spork_status launch(spork_thread *t)
{
    spork_status status = all.can_wait ? SPORK_OK : spork__os_berth_new(&ear.berth);
    if (status != SPORK_OK) return status;
    all.can_wait = true;
    own_moved(t->args, true);
    t->state = RUNNING;
    list_add(t);
    status =
        spork__os_thread_start(&t->os, &(spork__thread_work){run, cut_short, t}, t->name, false);
    if (status == SPORK_OK) return SPORK_OK;
    list_remove(t);
    t->state = NEW;
    own_moved(t->args, false);
    return status;
}

spork_status spork_thread_start(spork_thread *t)
{
    static const char call[] = "spork_thread_start";
    spork_status status = check(t, call);
    if (status != SPORK_OK) return status;
    spork__os_lock(SPORK__LOCK_THREADS);
    status = t->state == NEW ? launch(t)
                             : spork__fail(SPORK_BAD_STATE, "it was started before; make a new one for another run");
    spork__os_unlock(SPORK__LOCK_THREADS);
    return status == SPORK_OK ? SPORK_OK : spork__fail_in(status, "%s(%s)", call, t->name);
}

/* ---- waiting ---- */

static bool change(spork_thread *t, state from, state to)
{
    int seen = (int)from; /* an enum without a negative value is unsigned to some compilers */
    return atomic_compare_exchange_strong(&t->state, &seen, to);
}

/* Nobody else does it meanwhile, and its object stays until it is done: who frees it now leaves that to us. */
static void join_by_system(spork_thread *t)
{
    spork__os_thread_join(&t->os);
    spork__os_lock(SPORK__LOCK_THREADS);
    list_remove(t);
    t->state = JOINED;
    bool alone = t->freed;
    spork__os_unlock(SPORK__LOCK_THREADS);
    if (alone) destroy(t);
    spork__bell_ring(&ended, &ear);
}

spork_status spork_thread_join(spork_thread *t, int timeout_ms)
{
    static const char call[] = "spork_thread_join";
    spork__deadline d = {.timeout_ms = timeout_ms};
    if (t != NULL && t == spork_current_thread())
        return spork__fail(SPORK_BAD_STATE, "%s(%s): a thread cannot join itself", call, t->name);
    spork_status status = spork__timed(check(t, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    if (t->state == NEW) return spork__fail(SPORK_BAD_STATE, "%s(%s): it was not started", call, t->name);
    while (t->state != JOINED) {
        if (change(t, RETURNED, JOINING)) {
            join_by_system(t);
            break;
        }
        if (t->state == NEW) /* it was, and could not be after all */
            return spork__fail(SPORK_BAD_STATE, "%s(%s): it was not started", call, t->name);
        int left = spork__deadline_left(&d);
        if (left == 0)
            return spork__fail(SPORK_TIMEOUT, "%s(%s): it still runs after %d ms", call, t->name, timeout_ms);
        uint32_t ticket = spork__bell_announce(&ended);
        if (t->state == RUNNING || t->state == JOINING)
            spork__bell_sleep_or_end(&ended, &ear, ticket, left, NULL);
    }
    return SPORK_OK;
}

bool spork_thread_is_alive(const spork_thread *t)
{
    return t != NULL && (t->foreign || t->owner == spork__os_getpid()) && t->state == RUNNING;
}

int spork_thread_exitcode(const spork_thread *t)
{
    return t != NULL && t->state > RUNNING ? t->code : SPORK_RUNNING;
}

const char *spork_thread_name(const spork_thread *t) { return t != NULL ? t->name : ""; }

void spork_thread_free(spork_thread *t)
{
    if (t == NULL || t->foreign || t == current || t->owner != spork__os_getpid()) return;
    spork__os_lock(SPORK__LOCK_THREADS);
    bool later = t->state == RUNNING || t->state == JOINING;
    if (later) t->freed = true; /* it destroys itself, or who joins it does */
    bool ours = !later && change(t, RETURNED, JOINING);
    spork__os_unlock(SPORK__LOCK_THREADS);
    if (later) return;
    if (ours) join_by_system(t); /* a moment */
    destroy(t);
}

/* ---- which threads there are ---- */

spork_thread *spork_current_thread(void)
{
    static atomic_uint dummies;
    if (current != NULL) return current;
    snprintf(dummy.name, sizeof dummy.name, "Dummy-%u", atomic_fetch_add(&dummies, 1) + 1);
    dummy.thread = (spork_thread){.foreign = true, .name = dummy.name, .code = SPORK_RUNNING};
    dummy.thread.state = RUNNING;
    return current = &dummy.thread;
}

size_t spork_active_threads(spork_thread **list, size_t room)
{
    size_t count = 0;
    spork__os_lock(SPORK__LOCK_THREADS);
    for (spork_thread *t = all.first; t != NULL; t = t->next) {
        if (t->freed || t->state != RUNNING) continue;
        if (count < room && list != NULL) list[count] = t;
        count++;
    }
    spork__os_unlock(SPORK__LOCK_THREADS);
    return count;
}

void spork__thread_is_main(void) { current = &main_thread; }

void spork__threads_forked(void)
{
    all.first = NULL; /* the parent's: they stay in memory, and answer SPORK_NOT_YOURS */
    all.count = 0;    /* names begin anew, as under every start method */
    atomic_store_explicit(&ended.word, 0, memory_order_relaxed);
    current = &main_thread;
}

/* ---- the end of the process ---- */

/* One that has to be waited for, and its name; NULL: there is none. One that has returned becomes ours to join. */
static spork_thread *any_left(char *name, size_t size, bool *returned)
{
    spork__os_lock(SPORK__LOCK_THREADS);
    spork_thread *t = all.first;
    while (t != NULL && (t->daemon || t == current || t->state > RETURNED)) t = t->next;
    if (t != NULL) {
        snprintf(name, size, "%s", t->name);
        *returned = change(t, RETURNED, JOINING);
    }
    spork__os_unlock(SPORK__LOCK_THREADS);
    return t;
}

void spork__threads_join_all(spork__last_wait *wait)
{
    char name[200];
    bool returned = false;
    for (;;) {
        uint32_t ticket = spork__bell_announce(&ended);
        spork_thread *t = any_left(name, sizeof name, &returned);
        if (t == NULL) return;
        if (returned) {
            join_by_system(t);
            continue;
        }
        int ms = spork__last_wait_ms(wait, name, 0);
        if (ms == 0) return;
        spork__bell_sleep(&ended, &ear, ticket, ms);
    }
}
