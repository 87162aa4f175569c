#include "hands.h"

#include <stdio.h>
#include <string.h>

#include "../alloc.h"
#include "../error.h"
#include "../processes.h"
#include "../threads.h"
#include "../value.h"

typedef enum state { NONE, LAUNCHED, RUNNING } state; /* LAUNCHED: a process that has not taken over yet */

typedef struct hand {
    state state;
    bool told_up, fired;
    uint64_t launched; /* when */
    spork_process *process;
    spork_thread *thread;
    void *kept; /* what a thread has that is at work */
    spork_status failed; /* its start; why: */
    char why[256];
} hand;

struct spork__hands {
    spork__crew *crew;
    const spork__chime *call; /* for a thread that was cut short */
    bool threads;
    char name[32];
    uint32_t initializer;
    spork_start_method method;
    spork__nursery *nursery;
    uint64_t max_memory;
    spork_args *args; /* the initializer's: values of our own, objects of the user's, but for those that were moved here */
    hand hand[];
};

/* ---- making ---- */

static spork_status take_args(spork__hands *h, const spork_args *args)
{
    if (args->count >= SPORK_MAX_VALUES)
        return spork__fail(SPORK_TOO_LARGE, "an initializer can have %d values", SPORK_MAX_VALUES - 1);
    spork_status status = spork__values_copy(args, &h->args);
    for (unsigned i = 0; status == SPORK_OK && i < h->args->count; i++) {
        spork_item *item = &h->args->items[i];
        if (item->kind == SPORK__KIND_POINTER && !h->threads)
            status = spork__fail(SPORK_INVALID,
                                 "value %u of the initializer is a plain pointer, which means nothing to another process",
                                 i + 1);
        if (item->kind >= SPORK__KIND_OBJECT) status = spork__objects_check(item, i + 1);
    }
    for (unsigned i = 0; status == SPORK_OK && i < h->args->count; i++)
        if (h->args->items[i].flags & SPORK__FLAG_MOVE) {
            spork__object_own(&h->args->items[i], true); /* it ends with the pool */
            h->args->items[i].flags &= (uint16_t)~SPORK__FLAG_MOVE;
        }
    return status;
}

static spork_status fill(spork__hands *h, const spork_pool_options *o)
{
    spork_status status = take_args(h, &o->initargs);
    if (status != SPORK_OK || h->threads) return status;
    h->method = o->method != SPORK_DEFAULT ? o->method : spork_get_start_method();
    if (h->method != SPORK_FORK) return SPORK_OK;
    h->method = SPORK_FORKSERVER;
    return spork__process_nursery(&h->nursery);
}

spork__hands *spork__hands_new(const spork_pool_options *o, spork__crew *crew, const char *name,
                               uint32_t initializer, const spork__chime *call)
{
    spork__hands *h = spork__alloc(sizeof *h + o->workers * sizeof *h->hand, "a pool's workers");
    if (h == NULL) return NULL;
    h->crew = crew;
    h->call = call;
    h->threads = o->threads;
    h->initializer = initializer;
    h->max_memory = o->max_memory;
    snprintf(h->name, sizeof h->name, "%s", name);
    if (fill(h, o) == SPORK_OK) return h;
    spork__hands_close(h);
    return NULL;
}

void spork__hands_close(spork__hands *h)
{
    if (h == NULL) return;
    spork__os_nursery_free(h->nursery);
    if (h->args != NULL) spork__objects_release(h->args);
    spork__values_free_copy(h->args);
    spork__free(h);
}

/* ---- starting ---- */

static void call_owner(void *chime) { spork__os_chime_ring(chime); }

static spork_status start_thread(spork__hands *h, hand *one, const char *name, const spork__crew_self *self)
{
    spork_thread_options o;
    memset(&o, 0, sizeof o);
    o.run = spork__crew_work;
    o.self = self;
    o.self_size = sizeof *self;
    o.args = *h->args;
    o.name = name;
    o.daemon = true;
    one->thread = spork__thread_new(&o, sizeof o);
    spork__thread_at_cut_short(one->thread, call_owner, (void *)(uintptr_t)h->call);
    spork_status status = spork_thread_start(one->thread);
    if (status == SPORK_OK) {
        one->state = RUNNING;
        return SPORK_OK;
    }
    spork_thread_free(one->thread);
    one->thread = NULL;
    return spork_last_status();
}

static spork_status start_process(spork__hands *h, hand *one, const char *name, const spork__crew_self *self)
{
    spork_process_options o;
    memset(&o, 0, sizeof o);
    o.run = spork__crew_work;
    o.self = self;
    o.self_size = sizeof *self;
    o.args = *h->args;
    o.args.items[o.args.count++] = spork__item(SPORK__KIND_CREW, h->crew, 0, 1);
    o.name = name;
    o.daemon = true;
    o.method = h->method;
    o.max_memory = h->max_memory;
    spork_process *p = spork__process_new(&o, sizeof o);
    if (p == NULL) return spork_last_status();
    p->hidden = true;
    p->nursery = h->nursery;
    spork_status status = spork__process_launch(p);
    if (status != SPORK_OK) {
        spork_process_free(p);
        return status;
    }
    one->process = p;
    one->state = LAUNCHED;
    one->launched = spork__os_now();
    return SPORK_OK;
}

spork_status spork__hands_start(spork__hands *h, unsigned worker)
{
    char name[64];
    hand *one = &h->hand[worker];
    spork__crew_self self = {worker, h->initializer, h->threads ? h->crew : NULL,
                             h->threads ? &one->kept : NULL};
    snprintf(name, sizeof name, "%s-Worker-%u", h->name, worker + 1);
    memset(one, 0, sizeof *one);
    return (h->threads ? start_thread : start_process)(h, one, name, &self);
}

/* ---- looking ---- */

/* It has taken over, or failed to: its object is to know, once. (A place may say that its worker is up which was killed when it was late.) */
static void settle(hand *one, int timeout_ms)
{
    if (one->state != LAUNCHED || one->failed != SPORK_OK) return;
    one->failed = spork__process_await(one->process, timeout_ms);
    if (one->failed == SPORK_OK)
        one->state = RUNNING;
    else
        snprintf(one->why, sizeof one->why, "%s", spork_error());
}

static uint32_t life_of(const spork__crew_worker *place)
{
    return atomic_load_explicit(&place->life, memory_order_acquire);
}

bool spork__hands_is_up(spork__hands *h, unsigned worker, const spork__crew_worker *place)
{
    hand *one = &h->hand[worker];
    if (one->state == NONE || one->told_up) return false;
    uint32_t life = life_of(place);
    if (life == SPORK__LIFE_NONE || life == SPORK__LIFE_STARTING) return false;
    settle(one, spork__process_patience()); /* it runs, so this returns at once */
    if ((life != SPORK__LIFE_UP && life != SPORK__LIFE_LEFT) || one->state != RUNNING) return false;
    return one->told_up = true;
}

static bool thread_has_ended(const hand *one, const spork__crew_worker *place)
{
    (void)place;
    return !spork_thread_is_alive(one->thread);
}

static bool process_has_ended(hand *one)
{
    bool sure = one->process->child.handle != SPORK__NO_HANDLE; /* that it would fire */
    if (one->state == LAUNCHED) {
        int patience = spork__process_patience();
        bool late = spork__os_now() - one->launched > (uint64_t)patience * 1000000;
        if (late || spork__os_wait(&one->process->child, 0) == SPORK_OK) settle(one, late ? 0 : patience);
        if (one->state == LAUNCHED) return one->failed != SPORK_OK;
    }
    if (sure && !one->fired) return false;
    one->fired = false;
    return !spork_process_is_alive(one->process);
}

bool spork__hands_has_ended(spork__hands *h, unsigned worker, const spork__crew_worker *place)
{
    hand *one = &h->hand[worker];
    if (one->state == NONE) return false;
    if (one->failed != SPORK_OK) return true;
    return h->threads ? thread_has_ended(one, place) : process_has_ended(one);
}

/* ---- ends ---- */

static void tell_of_start(const hand *one, const spork__crew_worker *place, spork__event *event)
{
    char text[64];
    uint32_t life = life_of(place);
    if (one->failed != SPORK_OK) {
        event->status = one->failed;
        snprintf(event->text, sizeof event->text, "%s", one->why);
    } else if (life == SPORK__LIFE_USELESS) {
        event->status = SPORK_FAILED;
        snprintf(event->text, sizeof event->text, "the initializer failed: %.*s", SPORK__CREW_TEXT - 1, place->text);
    } else if (one->thread != NULL) {
        event->status = SPORK_CRASHED;
        snprintf(event->text, sizeof event->text,
                 "a worker, a thread, was ended in the initializer");
    } else {
        event->status = SPORK_CRASHED;
        snprintf(event->text, sizeof event->text, "a worker %s in the initializer",
                 spork__exit_text(event->exitcode, text));
    }
}

static void tell_of_end(const hand *one, spork__event *event)
{
    const spork__end *end = &one->process->end;
    event->exitcode = end->exitcode;
    event->native = end->native;
    event->peak_rss = end->peak_rss;
    event->cpu_ms = end->cpu_ms;
    event->pid = spork_process_pid(one->process);
    spork_status outcome = spork_process_outcome(one->process);
    event->status = outcome == SPORK_OVER_LIMIT ? SPORK_OVER_LIMIT : SPORK_CRASHED;
    snprintf(event->text, sizeof event->text, "its worker, %s", spork_error());
}

void spork__hands_bury(spork__hands *h, unsigned worker, const spork__crew_worker *place, spork__event *event)
{
    hand *one = &h->hand[worker];
    uint32_t life = life_of(place);
    /* It may have been up, and ended, between two looks. */
    event->was_up = one->told_up || (one->failed == SPORK_OK &&
                                     (life == SPORK__LIFE_UP || life == SPORK__LIFE_LEFT));
    event->exitcode = SPORK_RUNNING;
    if (one->process != NULL && one->failed == SPORK_OK) tell_of_end(one, event);
    if (h->threads && life != SPORK__LIFE_LEFT) {
        event->status = SPORK_CRASHED;
        snprintf(event->text, sizeof event->text,
                 "its worker, a thread, was ended: cancelled, or by pthread_exit");
    }
    event->in_order = life == SPORK__LIFE_LEFT && one->failed == SPORK_OK && (h->threads || event->exitcode == 0);
    if (!event->was_up) tell_of_start(one, place, event);
    if (one->thread != NULL) spork_thread_join(one->thread, SPORK_FOREVER); /* it has returned */
    spork_thread_free(one->thread);
    spork__crew_forget(one->kept);
    spork_process_free(one->process);
    memset(one, 0, sizeof *one);
}

void spork__hands_stop(spork__hands *h, unsigned worker, spork__stop how)
{
    hand *one = &h->hand[worker];
    if (h->threads || one->state == NONE || how == SPORK__STOP_ASK) return;
    if (one->state == LAUNCHED) {
        settle(one, 0); /* which kills it, unless it has just taken over */
        if (one->state == LAUNCHED) return;
    }
    if (how == SPORK__STOP_KILL)
        spork_process_kill(one->process);
    else
        spork_process_terminate(one->process);
}

size_t spork__hands_handles(spork__hands *h, spork__wait_handle *list, size_t room, bool *all)
{
    size_t n = 0;
    *all = true;
    for (unsigned i = 0; i < h->crew->worker_count && !h->threads; i++) {
        const hand *one = &h->hand[i];
        if (one->state == NONE) continue;
        spork_native handle = one->failed == SPORK_OK ? one->process->child.handle : SPORK__NO_HANDLE;
        if (handle == SPORK__NO_HANDLE || n == room) /* or it could not start: that is to be told, and by no handle */
            *all = false;
        else
            list[n++] = (spork__wait_handle){.handle = handle, .item = i};
    }
    return n;
}

void spork__hands_fired(spork__hands *h, size_t worker)
{
    for (unsigned i = 0; i < h->crew->worker_count; i++)
        if (worker == SIZE_MAX || worker == i) h->hand[i].fired = true;
}

int spork__hands_pid(const spork__hands *h, unsigned worker)
{
    const hand *one = &h->hand[worker];
    if (h->threads) return one->state != NONE ? spork__os_getpid() : 0;
    return one->process != NULL ? one->process->child.pid : 0;
}
