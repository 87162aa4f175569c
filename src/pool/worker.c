/* A worker: takes tasks and does them, until there will be no more. crew.h tells what its death leaves behind at each step. Also what a task calls:
 * spork_return and its neighbours. */
#include <spork/pool.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../alloc.h"
#include "../backoff.h"
#include "../deadline.h"
#include "../error.h"
#include "../tree.h"
#include "../value.h"
#include "crew.h"

enum { BOUND_MS = 50, PATIENCE_MS = 2000, EXTENTS = 64 };

/* Memory that the present task was given by spork_task_alloc. */
typedef struct loan {
    uint32_t extent;
    unsigned char *data;
    size_t size;
    bool kept; /* the result refers to it */
} loan;

typedef struct worker {
    spork__crew *crew;
    spork__crew_worker *me;
    uint32_t number, id;
    uintptr_t *addresses; /* of functions, by their number */
    bool flushes;         /* what tasks print, lest it be lost when we are ended */
    unsigned tasks;       /* done, of those that count */
    uint64_t tail;        /* of the hints, as it was once: what others write is looked at when it has to be */
    uint64_t done_tail, done_head;
    /* the present one */
    spork__crew_task *task;
    uint32_t index, sequence;
    loan loans[EXTENTS];
    unsigned loan_count;
    bool has_result;
    spork__crew_place result;
    uint32_t references;
    char *reason;  /* spork_fail's; allocated, NULL also for want of memory */
    bool no_space; /* for the result */
    uint64_t item; /* of a run: the first that failed, of which the reason is; UINT64_MAX: none did */
} worker;

static worker *of(const spork_task *task)
{
    return task != NULL ? (worker *)task->reserved[0] : NULL;
}
static spork__crew_words *words_of(const worker *w) { return w->crew->words; }
static uint64_t current(const worker *w, spork__doing doing)
{
    return spork__crew_current(w->sequence, w->index, doing);
}
static bool is_over(const worker *w) { return atomic_load_explicit(&words_of(w)->stop, memory_order_relaxed) != 0; }

static void tell(const worker *w) { spork__bell_ring(&words_of(w)->events, &w->crew->events); }

/* ---- room ---- */

/* Waits a moment for the owner to take something away. false: it has not for long. */
static bool wait_for_room(const worker *w, spork__deadline *d)
{
    spork__bell *bell = &words_of(w)->room_bell;
    int left = spork__deadline_left(d);
    uint32_t ticket = spork__bell_announce(bell);
    if (left == 0 || is_over(w)) return false;
    tell(w); /* it may not know that somebody waits */
    spork__bell_sleep(bell, &w->crew->room, ticket, left < BOUND_MS ? left : BOUND_MS);
    return true;
}

static spork_status no_room(uint64_t size)
{
    return spork__fail(SPORK_NO_SPACE,
                       "no room for %llu bytes of a result in the pool's memory: results that the program keeps are in "
                       "it, until their futures are freed",
                       (unsigned long long)size);
}

static spork_status take_extent(worker *w, size_t size, uint32_t *extent)
{
    spork__deadline d = {.timeout_ms = PATIENCE_MS};
    spork_status status;
    while ((status = spork__arena_take(&w->crew->arena, size, extent)) == SPORK_TIMEOUT)
        if (!wait_for_room(w, &d)) return no_room(size);
    return status == SPORK_TOO_LARGE ? spork__fail_in(SPORK_NO_SPACE, "a result of a task") : status;
}

static spork_status result_room(worker *w, uint64_t size, void **room)
{
    spork__deadline d = {.timeout_ms = PATIENCE_MS};
    spork_status status;
    while ((status = spork__crew_room(w->crew, w->index, SPORK__CREW_RESULT, size, &w->result, room)) == SPORK_TIMEOUT)
        if (!wait_for_room(w, &d)) return no_room(size);
    return status == SPORK_TOO_LARGE ? spork__fail_in(SPORK_NO_SPACE, "a result of a task") : status;
}

/* ---- what a task calls ---- */

static void drop_result(worker *w)
{
    if (w->has_result && w->result.where == SPORK__IN_EXTENT)
        spork__arena_free(&w->crew->arena, w->result.extent, w->id);
    w->has_result = false;
    w->references = 0;
    for (unsigned k = 0; k < w->loan_count; k++) w->loans[k].kept = false;
}

/* Values that lie in a loan are referred to. */
static void refer(worker *w, spork__crew_pack *pack)
{
    for (unsigned i = 0; i < pack->values->count; i++) {
        const spork_item *item = &pack->values->items[i];
        if (item->kind != SPORK__KIND_BYTES && item->kind != SPORK__KIND_ARRAY) continue;
        const unsigned char *at = item->as.p;
        for (unsigned k = 0; k < w->loan_count; k++) {
            loan *l = &w->loans[k];
            if (at < l->data || at >= l->data + l->size || item->unit == 0 ||
                item->count > (size_t)(l->data + l->size - at) / item->unit)
                continue;
            spork__crew_refer(pack, i, l->extent, (uint64_t)(at - l->data));
            l->kept = true;
            break;
        }
    }
}

static spork_status give_result(worker *w, const spork_args *values)
{
    spork__crew_pack pack;
    size_t size = 0;
    void *room = NULL;
    drop_result(w);
    spork_status status = spork__crew_pack_up(w->crew, values, &pack);
    if (status != SPORK_OK) return status;
    refer(w, &pack);
    status = spork__values_size(pack.values, &size);
    if (status == SPORK_OK) status = result_room(w, size, &room);
    w->has_result = status == SPORK_OK;
    w->references = pack.references;
    if (status == SPORK_OK) status = spork__values_encode(pack.values, room, size);
    if (status != SPORK_OK) drop_result(w);
    return status;
}

static spork_status of_items(void)
{
    return spork__fail(SPORK_BAD_STATE, "an item of spork_pool_map gives its result by writing to `out`");
}

int spork__return(spork_task *task, spork_args values)
{
    worker *w = of(task);
    size_t size;
    spork_status status = w == NULL        ? spork__values_size(&values, &size)
                          : w->task->run == 0 ? give_result(w, &values)
                                              : of_items();
    if (status == SPORK_OK) return 0;
    spork__fail_in(status, "spork_return");
    if (w != NULL) w->no_space = status == SPORK_NO_SPACE || status == SPORK_NO_MEMORY;
    return 1;
}

int spork_fail(spork_task *task, const char *format, ...)
{
    va_list ap;
    worker *w = of(task);
    va_start(ap, format);
    int size = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (w == NULL) return 1;
    char *text = size >= 0 ? spork__alloc((size_t)size + 1, "a reason") : NULL;
    if (text != NULL) {
        va_start(ap, format);
        vsnprintf(text, (size_t)size + 1, format, ap);
        va_end(ap);
    }
    spork__free(w->reason);
    w->reason = text;
    w->no_space = false;
    return 1;
}

bool spork_task_cancelled(const spork_task *task)
{
    const worker *w = of(task);
    if (w == NULL) return false;
    if (is_over(w)) return true;
    if (atomic_load_explicit(&w->me->asked, memory_order_acquire) != current(w, SPORK__DOING_RUNNING)) return false;
    uint64_t item = atomic_load_explicit(&w->me->asked_item, memory_order_relaxed);
    return item == UINT64_MAX || item == task->index;
}

void *spork_task_alloc(spork_task *task, size_t size)
{
    static const char call[] = "spork_task_alloc";
    worker *w = of(task);
    uint32_t extent;
    size_t have;
    if (w == NULL) {
        spork__fail(SPORK_BAD_STATE, "%s: this is no task of a pool", call);
        return NULL;
    }
    if (w->task->run != 0) {
        spork__fail_in(of_items(), "%s", call);
        return NULL;
    }
    if (w->loan_count == EXTENTS) {
        spork__fail(SPORK_NO_SPACE, "%s: a task can have %d such rooms", call, EXTENTS);
        return NULL;
    }
    spork_status status = take_extent(w, size, &extent);
    unsigned char *data = status == SPORK_OK ? spork__arena_data(&w->crew->arena, extent, &have) : NULL;
    if (data == NULL) {
        spork__fail_in(spork_last_status(), "%s", call);
        return NULL;
    }
    w->loans[w->loan_count++] = (loan){extent, data, size, false};
    return data;
}

/* ---- one task ---- */

static uintptr_t address_of(worker *w, uint32_t number)
{
    spork__function f;
    uintptr_t address = 0;
    if (number >= SPORK__CREW_FUNCTIONS) {
        spork__fail(SPORK_BAD_MESSAGE, "the pool's shared memory is damaged");
        return 0;
    }
    if (w->addresses[number] != 0) return w->addresses[number];
    const spork__crew_function *known = &words_of(w)->functions[number];
    const spork__crew_image *image = &words_of(w)->images[known->image % SPORK__CREW_IMAGES];
    memset(&f, 0, sizeof f);
    f.offset = known->offset;
    f.is_program = image->is_program;
    memcpy(f.identity, image->identity, sizeof f.identity);
    memcpy(f.path, image->path, sizeof f.path);
    if (spork__function_import(&f, &address) != SPORK_OK) return 0;
    return w->addresses[number] = address;
}

static void begin(worker *w)
{
    w->loan_count = 0;
    w->has_result = w->no_space = false;
    w->references = 0;
    w->reason = NULL;
    w->item = UINT64_MAX;
    spork__error_forget();
}

/* What the pool's process is told: a reason of any length, if there is room for it. */
static void give_reason(worker *w, const char *reason)
{
    void *room;
    size_t size = strlen(reason) + 1;
    if (result_room(w, size, &room) != SPORK_OK) {
        size = size < SPORK__CREW_INLINE ? size : SPORK__CREW_INLINE;
        w->result = (spork__crew_place){size, SPORK__IN_TASK, SPORK__ARENA_NONE};
        room = w->task->room[SPORK__CREW_RESULT];
    }
    memcpy(room, reason, size - 1);
    ((char *)room)[size - 1] = 0;
    w->has_result = true;
}

/* Its own, or Spork's last sentence, or, in `text`, the number. */
static const char *reason_of(const worker *w, int code, char text[64])
{
    if (w->reason != NULL && w->reason[0] != 0) return w->reason;
    if (spork_error()[0] != 0) return spork_error();
    snprintf(text, 64, "it returned %d", code);
    return text;
}

static spork__crew_outcome outcome_of(worker *w, int code)
{
    char text[64];
    if (code == 0) return SPORK__CREW_VALUES;
    drop_result(w);
    give_reason(w, reason_of(w, code, text));
    return w->no_space && w->reason == NULL ? SPORK__CREW_NO_SPACE : SPORK__CREW_FAILURE;
}

/* An extent on its way is nobody's: its mark tells the owner whose result it belongs to. */
static void send_off(worker *w, uint32_t extent)
{
    spork__arena_set_mark(&w->crew->arena, extent, current(w, SPORK__DOING_RUNNING));
    spork__arena_hand(&w->crew->arena, extent, w->id, SPORK__ARENA_NOBODY);
}

static void give_back(worker *w)
{
    for (unsigned k = 0; k < w->loan_count; k++)
        if (w->loans[k].kept)
            send_off(w, w->loans[k].extent);
        else
            spork__arena_free(&w->crew->arena, w->loans[k].extent, w->id);
    if (w->has_result && w->result.where == SPORK__IN_EXTENT) send_off(w, w->result.extent);
    spork__free(w->reason);
    w->loan_count = 0;
    w->has_result = false;
    w->reason = NULL;
}

/* Enters it among what is done. There is room soon: the owner takes from there, whatever becomes of it. */
static void enter(worker *w)
{
    spork__crew_worker *me = w->me;
    spork__deadline d = {.timeout_ms = SPORK_FOREVER};
    if (w->done_tail - w->done_head >= SPORK__CREW_DONE_MANY)
        w->done_head = atomic_load_explicit(&me->done_head, memory_order_acquire);
    while (w->done_tail - w->done_head >= SPORK__CREW_DONE) {
        if (!wait_for_room(w, &d)) break; /* all is over: nobody wants it any more */
        w->done_head = atomic_load_explicit(&me->done_head, memory_order_acquire);
    }
    atomic_store_explicit(&me->done[w->done_tail % SPORK__CREW_DONE], w->index, memory_order_relaxed);
    atomic_store_explicit(&me->done_tail, ++w->done_tail, memory_order_release);
    spork__at(SPORK__AT_TASK_ENTERED);
}

static bool doing(worker *w, spork__doing from, spork__doing to)
{
    uint64_t seen = current(w, from);
    return atomic_compare_exchange_strong(&w->me->current, &seen, current(w, to));
}

static void finish(worker *w, spork__crew_outcome outcome, uint64_t began)
{
    spork__crew_task *t = w->task;
    spork__at(SPORK__AT_TASK_RETURNED);
    /* Whoever doomed us has begun to end us, or takes it back: the item that it is about was our last. */
    while (!doing(w, SPORK__DOING_RUNNING, SPORK__DOING_FINISHING)) spork__os_sleep(1);
    spork__at(SPORK__AT_TASK_FINISHING);
    t->result = w->has_result ? w->result : (spork__crew_place){0, SPORK__IN_TASK, SPORK__ARENA_NONE};
    t->outcome = outcome;
    t->references = outcome == SPORK__CREW_VALUES ? w->references : 0;
    t->began = began;
    t->ended = began != 0 ? spork__os_now() : 0;
    t->item = w->item;
    give_back(w);
    spork__at(SPORK__AT_TASK_RESULT);
    atomic_store_explicit(&t->state, spork__crew_state(w->sequence, w->number, SPORK__TASK_DONE), memory_order_release);
    spork__at(SPORK__AT_TASK_DONE);
    enter(w);
    bool many = w->done_tail - w->done_head >= SPORK__CREW_DONE_MANY;
    atomic_exchange(&w->me->current, 0);
    spork__bell_ring_late(&words_of(w)->events, &w->crew->events);
    if (many && w->done_tail % (SPORK__CREW_DONE / 8) == 0) /* nobody may be listening */
        spork__bell_call(&words_of(w)->events, &w->crew->events);
}

/* ---- items ---- */

typedef struct items {
    const unsigned char *in;
    unsigned char *out;
    _Atomic unsigned char *marks;
    const uint64_t *list;
    spork_item_fn fn;
} items;

static bool find_items(worker *w, const spork__crew_run *r, items *i)
{
    const spork__crew *c = w->crew;
    memset(i, 0, sizeof *i);
    i->in = spork__crew_offset(c, r->in, r->in_size * r->items);
    i->out = spork__crew_offset(c, r->out, r->out_size * r->items);
    i->marks = spork__crew_offset(c, r->marks, r->items);
    if (r->list != 0) i->list = spork__crew_offset(c, r->list, r->count * sizeof *i->list);
    return i->in != NULL && i->out != NULL && i->marks != NULL;
}

/* With a timeout the owner may doom us at a certain item, and takes that back if we have gone on to the next meanwhile: so nothing is
 * begun or told between its two steps. */
static void check_doom(worker *w)
{
    while (!doing(w, SPORK__DOING_RUNNING, SPORK__DOING_RUNNING)) spork__os_sleep(1);
}

/* The first one's reason goes with the helper's result, and lies in our place, too, in case we die before. */
static void note_failure(worker *w, uint64_t n, int code)
{
    char text[64];
    if (w->item != UINT64_MAX) return;
    w->item = n;
    outcome_of(w, code);
    snprintf(w->me->text, sizeof w->me->text, "%s", reason_of(w, code, text));
    atomic_store_explicit(&w->me->failed, n, memory_order_release);
}

static void forget_reason(worker *w)
{
    if (w->reason != NULL) spork__free(w->reason);
    w->reason = NULL;
    spork__error_forget();
}

/* Nobody wants the rest. */
static bool shall_stop(const worker *w, const spork__crew_run *r)
{
    return is_over(w) || atomic_load_explicit(&r->stop, memory_order_relaxed) != 0;
}

/* Asked to stop at this very item. */
static bool was_late(const worker *w, uint64_t n)
{
    return atomic_load_explicit(&w->me->asked, memory_order_acquire) == current(w, SPORK__DOING_RUNNING) &&
           atomic_load_explicit(&w->me->asked_item, memory_order_relaxed) == n;
}

static void do_item(worker *w, const spork__crew_run *r, const items *i, uint64_t n, spork_task *task)
{
    task->index = (size_t)n;
    if (r->timeout_ms > 0) atomic_store_explicit(&w->me->began, spork__os_now(), memory_order_relaxed);
    atomic_store_explicit(&w->me->at, n, memory_order_release); /* after: who reads this item reads its beginning */
    int code = i->fn(i->in + n * r->in_size, i->out + n * r->out_size, task);
    if (r->timeout_ms > 0) check_doom(w);
    spork__mark mark = was_late(w, n) ? SPORK__ITEM_STOPPED : code == 0 ? SPORK__ITEM_DONE : SPORK__ITEM_FAILED;
    if (mark == SPORK__ITEM_FAILED && shall_stop(w, r)) mark = SPORK__ITEM_PENDING; /* it was asked to */
    if (mark == SPORK__ITEM_FAILED) note_failure(w, n, code);
    atomic_store_explicit(&i->marks[n], (unsigned char)mark, memory_order_release);
    forget_reason(w);
}

static void do_again(worker *w, const spork__crew_run *r, const items *i, uint64_t entry, spork_task *task)
{
    task->attempt = (uint32_t)(entry >> 32);
    do_item(w, r, i, (uint32_t)entry, task);
}

/* Chunk by chunk, as long as there are any. What is claimed and not done stays pending, and comes again. */
static void do_items(worker *w, spork__crew_run *r, const items *i, spork_task *task)
{
    const uint64_t chunk = r->chunk > 0 ? r->chunk : 1, count = r->count;
    while (!shall_stop(w, r)) {
        uint64_t from = atomic_fetch_add_explicit(&r->next, chunk, memory_order_relaxed);
        if (from >= count) break;
        uint64_t to = count - from < chunk ? count : from + chunk;
        for (uint64_t k = from; k < to; k++)
            if (i->list == NULL)
                do_item(w, r, i, k, task);
            else
                do_again(w, r, i, i->list[k], task);
        atomic_fetch_add_explicit(&r->done, to - from, memory_order_relaxed);
        if (words_of(w)->max_tasks != 0 && ++w->tasks >= words_of(w)->max_tasks) break;
    }
    atomic_store_explicit(&w->me->at, UINT64_MAX, memory_order_relaxed);
}

static spork__crew_outcome run_items(worker *w, uintptr_t address, spork_task *task)
{
    items i;
    spork__crew_run *r = &words_of(w)->runs[(w->task->run - 1) % SPORK__CREW_RUNS];
    if (!find_items(w, r, &i)) {
        spork__fail(SPORK_BAD_MESSAGE, "the pool's shared memory is damaged");
        return outcome_of(w, 1);
    }
    i.fn = (spork_item_fn)address;
    task->context = r->context != 0 ? spork__crew_offset(w->crew, r->context, r->context_size) : NULL;
    task->context_size = (size_t)r->context_size;
    do_items(w, r, &i, task);
    return w->item == UINT64_MAX ? SPORK__CREW_VALUES : SPORK__CREW_FAILURE;
}

static spork__crew_outcome run_task(worker *w, uintptr_t address, spork_task *task)
{
    spork_args args = SPORK_NO_ARGS;
    spork__crew_task *t = w->task;
    spork__crew_place place = t->args;
    const void *bytes = spork__crew_at(w->crew, w->index, SPORK__CREW_ARGS, &place);
    if (bytes == NULL ||
        spork__crew_decode(w->crew, bytes, (size_t)place.size, t->args_references, &args) != SPORK_OK)
        return outcome_of(w, 1);
    return outcome_of(w, ((spork_task_fn)address)(&args, task));
}

/* ---- taking ---- */

/* false: there is none. */
static bool take(worker *w)
{
    spork__crew_words *words = words_of(w);
    for (;;) {
        uint64_t head = atomic_load_explicit(&words->head, memory_order_acquire);
        if ((int64_t)(w->tail - head) <= 0) {
            w->tail = atomic_load_explicit(&words->tail, memory_order_acquire);
            if (head == w->tail) return false;
        }
        uint64_t hint = atomic_load_explicit(&words->hints[head % SPORK__CREW_HINTS], memory_order_acquire);
        w->index = (uint32_t)hint % SPORK__CREW_TASKS;
        w->sequence = (uint32_t)(hint >> 32);
        w->task = &w->crew->tasks[w->index];
        atomic_store(&w->me->current, current(w, SPORK__DOING_TAKING));
        spork__at(SPORK__AT_TASK_NOTED);
        uint64_t ready = spork__crew_state(w->sequence, 0, SPORK__TASK_READY);
        bool taken = atomic_compare_exchange_strong(&w->task->state, &ready,
                                                    spork__crew_state(w->sequence, w->number, SPORK__TASK_RUNNING));
        if (taken) spork__at(SPORK__AT_TASK_TAKEN);
        atomic_compare_exchange_strong(&words->head, &head, head + 1); /* or somebody else has */
        if (taken) return true;
        atomic_store_explicit(&w->me->current, 0, memory_order_release);
    }
}

static void work_on(worker *w)
{
    spork__crew_task *t = w->task;
    bool is_run = t->run != 0, timed = t->timeout_ms > 0;
    uint64_t began = timed || words_of(w)->clocked ? spork__os_now() : 0;
    begin(w);
    atomic_store_explicit(&w->me->at, UINT64_MAX, memory_order_relaxed);
    if (is_run) atomic_store_explicit(&w->me->failed, UINT64_MAX, memory_order_relaxed);
    atomic_store_explicit(&w->me->began, timed && !is_run ? began : 0, memory_order_relaxed);
    atomic_store(&w->me->current, current(w, SPORK__DOING_RUNNING));
    spork_task task;
    memset(&task, 0, sizeof task);
    task.attempt = t->attempt;
    task.worker = w->number;
    task.reserved[0] = w;
    uintptr_t address = address_of(w, t->function);
    spork__crew_outcome outcome = address == 0 ? outcome_of(w, 1)
                                  : is_run     ? run_items(w, address, &task)
                                               : run_task(w, address, &task);
    if (!is_run) w->tasks++;
    if (w->flushes) spork__os_flush();
    finish(w, address == 0 ? SPORK__CREW_NO_FUNCTION : outcome, began);
}

/* ---- a worker's life ---- */

static uint32_t there_may_be_one(void *user)
{
    const spork__crew_words *words = user;
    return atomic_load_explicit(&words->head, memory_order_relaxed) !=
               atomic_load_explicit(&words->tail, memory_order_acquire) ||
           atomic_load_explicit(&words->closing, memory_order_relaxed) != 0;
}

/* A wake-up is one worker's: tasks that came before it was awake have woken nobody else. */
static void pass_on(const worker *w)
{
    spork__crew_words *words = words_of(w);
    if (spork__bell_awaited(&words->ready) && there_may_be_one(words))
        spork__bell_ring_one(&words->ready, &w->crew->ready);
}

static spork__backoff backoff; /* the threads of a pool share it */

static void serve(worker *w)
{
    spork__crew_words *words = words_of(w);
    const unsigned most = words->max_tasks;
    while (!is_over(w) && (most == 0 || w->tasks < most)) {
        if (take(w)) {
            pass_on(w);
            work_on(w);
            continue;
        }
        if (atomic_load_explicit(&words->closing, memory_order_acquire) != 0) break;
        spork__backoff_for_answer(&backoff, there_may_be_one, words, w->crew->worker_count);
        if (there_may_be_one(words)) continue;
        uint32_t ticket = spork__bell_announce(&words->ready);
        if (there_may_be_one(words)) continue;
        spork__bell_sleep(&words->ready, &w->crew->ready, ticket, BOUND_MS);
        spork__bell_announce(&words->ready); /* for the others, who may still be asleep */
    }
}

static void live(const worker *w, spork__life life)
{
    atomic_store_explicit(&w->me->life, (uint32_t)life, memory_order_release);
    tell(w);
}

static spork_status prepare(worker *w, uint32_t initializer, const spork_args *args)
{
    char *text = w->me->text;
    if (initializer == 0) return SPORK_OK;
    uintptr_t address = address_of(w, initializer - 1);
    spork__error_forget();
    int code = address != 0 ? ((spork_target)address)(args) : 1;
    if (code == 0) return SPORK_OK;
    if (spork_error()[0] != 0)
        snprintf(text, SPORK__CREW_TEXT, "%s", spork_error());
    else
        snprintf(text, SPORK__CREW_TEXT, "it returned %d", code);
    return SPORK_FAILED;
}

static spork__crew *crew_of(const spork__crew_self *self, spork_args *args)
{
    if (self->crew != NULL) return self->crew;
    if (args->count == 0 || args->items[args->count - 1].kind != SPORK__KIND_CREW) return NULL;
    return (spork__crew *)(uintptr_t)args->items[--args->count].as.p;
}

int spork__crew_work(void *user, const spork_args *all)
{
    const spork__crew_self *self = user;
    spork_args args = *all;
    spork__crew *crew = crew_of(self, &args);
    if (crew == NULL || self->worker >= crew->worker_count) return 1;
    if (self->crew == NULL) spork__os_ignore_interrupts();
    worker *w = spork__alloc(sizeof *w, "a worker");
    uintptr_t *addresses = spork__alloc(SPORK__CREW_FUNCTIONS * sizeof *addresses, "a worker's functions");
    if (w != NULL && addresses != NULL) {
        w->crew = crew;
        w->me = &crew->workers[self->worker];
        w->number = self->worker;
        w->flushes = self->crew == NULL && !spork__os_lines_leave();
        w->addresses = addresses;
        w->id = spork__tree_self();
        w->done_tail = atomic_load(&w->me->done_tail); /* where the last one in this place has left it */
        w->done_head = atomic_load(&w->me->done_head);
        atomic_store_explicit(&w->me->id, w->id, memory_order_relaxed);
    }
    bool fine = w != NULL && addresses != NULL && w->id != 0;
    if (fine && self->kept != NULL) *self->kept = w;
    if (fine) {
        live(w, SPORK__LIFE_BORN);
        fine = prepare(w, self->initializer, &args) == SPORK_OK;
        live(w, fine ? SPORK__LIFE_UP : SPORK__LIFE_USELESS);
        if (fine) {
            serve(w);
            live(w, SPORK__LIFE_LEFT);
        }
    }
    if (self->kept != NULL) *self->kept = NULL;
    spork__free(addresses);
    spork__free(w);
    return fine ? 0 : 1;
}

void spork__crew_forget(void *kept)
{
    worker *w = kept;
    if (w == NULL) return;
    for (unsigned k = 0; k < w->loan_count; k++)
        spork__arena_free(&w->crew->arena, w->loans[k].extent, w->id);
    if (w->has_result) drop_result(w);
    spork__free(w->reason);
    spork__free(w->addresses);
    spork__free(w);
}
