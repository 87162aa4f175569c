/* The executor for this machine: the owner of a crew (crew.h), whose workers are processes or threads (hands.h). */
#include <stdio.h>
#include <string.h>

#include "../alloc.h"
#include "../copy.h"
#include "../error.h"
#include "../fault.h"
#include "../robust.h"
#include "../trace.h"
#include "../tree.h"
#include "../value.h"
#include "crew.h"
#include "executor.h"
#include "hands.h"

enum {
    TASKS_AT_ONCE = 128,
    KEEP_FROM = 256 << 10,                     /* results of at least so many bytes stay where they are, smaller ones are copied */
    KEEP_MOST = SPORK__ARENA_EXTENTS * 3 / 4,  /* unless so many extents are in use: then all are */
    BUCKETS = 2 * SPORK__CREW_FUNCTIONS,
    STUCK_MS = 1000, /* so long the arena's lock may be seen with the same worker, */
    STUCK_LOOKS = 20, /* so often at least, */
    LOOK_MS = 20,     /* at such intervals; without a suspicion: */
    LOOK_SELDOM_MS = 500
};

/* What was written into shared memory for the workers, for our own use: there it may have been written over. */
typedef struct known_function {
    uintptr_t address;
    uint64_t offset;
    uint32_t image;
} known_function;

typedef struct local {
    spork__executor executor;
    spork__crew *crew;
    spork__hands *hands;
    uint32_t me;
    bool threads;
    /* under the lock of those who give */
    spork__job *_Atomic jobs[SPORK__CREW_TASKS]; /* what is in the table */
    uint32_t sequences[SPORK__CREW_TASKS];
    uint32_t free[SPORK__CREW_TASKS], free_count;
    _Atomic uint32_t committed;
    uint64_t tail, head; /* of the hints; head: as it was once */
    uint32_t buckets[BUCKETS]; /* 1 + the number of a function */
    known_function functions[SPORK__CREW_FUNCTIONS];
    spork__crew_image images[SPORK__CREW_IMAGES];
    uint32_t function_count, image_count;
    bool runs[SPORK__CREW_RUNS];
    /* from those who take to those who give: a list of free places by `next`, ending with 0 */
    _Atomic uint32_t returned; /* 1 + the first */
    uint32_t next[SPORK__CREW_TASKS];
    /* under the lock of those who take */
    unsigned cursor;   /* whose list is looked at */
    bool taken;        /* something was taken away since the bell of those who wait for room rang */
    _Atomic uint64_t heads[SPORK__CREW_WORKERS]; /* how far each list was looked at */
    uint32_t stuck_owner, stuck_time, stuck_looks; /* who has had the arena's lock for long, since the same time */
    uint64_t stuck_at;
} local;

static local *of(spork__executor *e) { return (local *)e; }
static spork__crew_words *words_of(const local *l) { return l->crew->words; }
static spork__crew_worker *place_of(const local *l, unsigned worker) { return &l->crew->workers[worker]; }
/* So many places of the table have memory. */
static uint32_t committed(const local *l) { return atomic_load_explicit(&l->committed, memory_order_acquire); }

/* ---- functions ---- */

static uint32_t hash(uintptr_t address) { return (uint32_t)((uint64_t)address * 0x9E3779B97F4A7C15u >> 40) % BUCKETS; }

static spork_status find_image(local *l, const spork__function *f, uint32_t *number)
{
    for (*number = 0; *number < l->image_count; ++*number) {
        const spork__crew_image *i = &l->images[*number];
        if (i->is_program == f->is_program && memcmp(i->identity, f->identity, sizeof i->identity) == 0 &&
            strcmp(i->path, f->path) == 0)
            return SPORK_OK;
    }
    if (l->image_count == SPORK__CREW_IMAGES)
        return spork__fail(SPORK_NO_SPACE, "a pool can have tasks of %d libraries", SPORK__CREW_IMAGES);
    spork__crew_image *i = &l->images[l->image_count];
    i->is_program = f->is_program;
    memcpy(i->identity, f->identity, sizeof i->identity);
    memcpy(i->path, f->path, sizeof i->path);
    words_of(l)->images[l->image_count++] = *i;
    return SPORK_OK;
}

static spork_status add_function(local *l, uintptr_t address, uint32_t bucket, uint32_t *number)
{
    spork__function f;
    uint32_t image;
    spork_status status = spork__function_export(address, &f);
    if (status == SPORK_OK) status = find_image(l, &f, &image);
    if (status != SPORK_OK) return status;
    if (l->function_count == SPORK__CREW_FUNCTIONS)
        return spork__fail(SPORK_NO_SPACE, "a pool can have %d different tasks", SPORK__CREW_FUNCTIONS);
    *number = l->function_count++;
    words_of(l)->functions[*number] = (spork__crew_function){f.offset, image, 0};
    l->functions[*number] = (known_function){address, f.offset, image};
    l->buckets[bucket] = *number + 1;
    return SPORK_OK;
}

/* Another library may have come to where one was unloaded: what is in the program never goes. */
static bool still_there(const local *l, uint32_t number)
{
    spork__os_image image;
    const known_function *f = &l->functions[number];
    const spork__crew_image *known = &l->images[f->image];
    return known->is_program || (spork__os_image_of(f->address, false, &image) == SPORK_OK &&
                                 f->address - image.base == f->offset && strcmp(image.path, known->path) == 0);
}

static spork_status function_number(local *l, uintptr_t address, uint32_t *number)
{
    uint32_t bucket = hash(address);
    for (; l->buckets[bucket] != 0; bucket = (bucket + 1) % BUCKETS) {
        *number = l->buckets[bucket] - 1;
        if (l->functions[*number].address == address && still_there(l, *number)) return SPORK_OK;
    }
    return add_function(l, address, bucket, number);
}

/* ---- giving ---- */

/* A free place in the table, or SPORK_TIMEOUT. */
static spork_status take_place(local *l, uint32_t *index)
{
    if (l->free_count == 0) /* what those who take have given back */
        for (uint32_t at = atomic_exchange(&l->returned, 0); at != 0; at = l->next[at - 1])
            l->free[l->free_count++] = at - 1;
    if (l->free_count == 0) {
        uint32_t have = committed(l);
        if (have == SPORK__CREW_TASKS) return SPORK_TIMEOUT;
        spork_status status = spork__crew_commit_tasks(l->crew, have + TASKS_AT_ONCE);
        if (status != SPORK_OK) return status;
        for (uint32_t i = have + TASKS_AT_ONCE; i > have; i--) l->free[l->free_count++] = i - 1;
        atomic_store_explicit(&l->committed, have + TASKS_AT_ONCE, memory_order_release);
    }
    *index = l->free[--l->free_count];
    return SPORK_OK;
}

static bool hints_are_full(local *l)
{
    const spork__crew_words *w = words_of(l);
    if (l->tail - l->head < SPORK__CREW_HINTS) return false;
    l->head = atomic_load_explicit(&w->head, memory_order_acquire);
    return l->tail - l->head >= SPORK__CREW_HINTS;
}

/* Before those who take may see the job in its place. */
static void number(local *l, spork__job *job)
{
    if (++l->sequences[job->place] == 0) l->sequences[job->place] = 1;
    job->sequence = l->sequences[job->place];
}

static void publish(local *l, spork__job *job, uint32_t function)
{
    spork__crew_words *w = words_of(l);
    spork__crew_task *t = &l->crew->tasks[job->place];
    t->function = function;
    t->run = job->run != NULL ? job->run->place + 1 : 0;
    t->attempt = job->attempt;
    t->timeout_ms = job->timeout_ms;
    t->args = (spork__crew_place){job->size, job->where, job->extent};
    t->args_references = job->references;
    atomic_store_explicit(&t->state, spork__crew_state(job->sequence, 0, SPORK__TASK_READY), memory_order_release);
    atomic_store_explicit(&w->hints[l->tail % SPORK__CREW_HINTS], (uint64_t)job->sequence << 32 | job->place,
                          memory_order_release);
    atomic_store_explicit(&w->tail, ++l->tail, memory_order_release);
    spork__bell_ring_one(&w->ready, &l->crew->ready);
}

static spork_status pack_up(spork__executor *e, spork__job *job, void *to, size_t *size)
{
    spork__crew_pack pack;
    spork_status status = spork__crew_pack_up(of(e)->crew, job->values, &pack);
    job->references = pack.references;
    if (status == SPORK_OK && to == NULL) status = spork__values_size(pack.values, size);
    if (status == SPORK_OK && to != NULL) status = spork__values_encode(pack.values, to, *size);
    return status;
}

/* The arguments into the task's own room. */
static spork_status write_args(local *l, spork__job *job)
{
    void *room;
    spork__crew_pack pack;
    spork__crew_place place = {0, SPORK__IN_TASK, SPORK__ARENA_NONE};
    spork_status status = SPORK_OK;
    if (job->run != NULL) return SPORK_OK;
    if (job->bytes == NULL) {
        status = spork__crew_pack_up(l->crew, job->values, &pack);
        if (status == SPORK_OK) status = spork__values_size(pack.values, &job->size);
        job->references = pack.references;
    }
    if (status == SPORK_OK)
        status = spork__crew_room(l->crew, job->place, SPORK__CREW_ARGS, job->size, &place, &room);
    if (status != SPORK_OK) return status;
    job->where = place.where;
    job->extent = place.extent;
    if (job->bytes != NULL)
        spork__copy(room, job->bytes, job->size);
    else
        status = spork__values_encode(pack.values, room, job->size);
    return status;
}

static void free_args(local *l, spork__job *job)
{
    if (job->where == SPORK__IN_EXTENT) spork__arena_free(&l->crew->arena, job->extent, l->me);
    job->where = SPORK__IN_TASK;
}

static uintptr_t function_of(const spork__job *job)
{
    return job->run != NULL ? (uintptr_t)job->run->plan.fn : (uintptr_t)job->fn;
}

static spork_status submit(spork__executor *e, spork__job *job)
{
    local *l = of(e);
    uint32_t function;
    spork_status status = hints_are_full(l) ? SPORK_TIMEOUT : function_number(l, function_of(job), &function);
    if (status == SPORK_OK) status = take_place(l, &job->place);
    if (status != SPORK_OK) return status;
    job->where = SPORK__IN_TASK;
    if ((status = write_args(l, job)) != SPORK_OK) {
        free_args(l, job);
        l->free[l->free_count++] = job->place;
        return status;
    }
    number(l, job);
    atomic_store_explicit(&l->jobs[job->place], job, memory_order_release);
    publish(l, job, function);
    return SPORK_OK;
}

/* Its arguments are where they were. */
static spork_status again(spork__executor *e, spork__job *job)
{
    local *l = of(e);
    uint32_t function;
    spork_status status = hints_are_full(l) ? SPORK_TIMEOUT : function_number(l, function_of(job), &function);
    if (status != SPORK_OK) return status;
    number(l, job);
    publish(l, job, function);
    return SPORK_OK;
}

static bool withdraw(spork__executor *e, spork__job *job)
{
    uint64_t ready = spork__crew_state(job->sequence, 0, SPORK__TASK_READY);
    return atomic_compare_exchange_strong(&of(e)->crew->tasks[job->place].state, &ready,
                                          spork__crew_state(job->sequence, 0, SPORK__TASK_FREE));
}

static void drop(spork__executor *e, spork__job *job)
{
    local *l = of(e);
    free_args(l, job);
    atomic_store_explicit(&l->jobs[job->place], NULL, memory_order_relaxed);
    atomic_store_explicit(&l->crew->tasks[job->place].state, spork__crew_state(job->sequence, 0, SPORK__TASK_FREE),
                          memory_order_relaxed);
    l->taken = true;
    uint32_t first = atomic_load(&l->returned);
    do l->next[job->place] = first;
    while (!atomic_compare_exchange_weak(&l->returned, &first, job->place + 1));
}

/* ---- what a worker does ---- */

/* The job that a worker's place names, if the task agrees that it is in that phase. */
static spork__job *job_at(const local *l, unsigned worker, uint64_t current, spork__phase phase)
{
    uint32_t index = spork__crew_index_of(current);
    if (spork__crew_doing(current) == SPORK__DOING_NOTHING || index >= committed(l)) return NULL;
    spork__job *job = atomic_load_explicit(&l->jobs[index], memory_order_acquire);
    if (job == NULL || job->sequence != (uint32_t)(current >> 32)) return NULL;
    return atomic_load(&l->crew->tasks[index].state) == spork__crew_state(job->sequence, worker, phase) ? job : NULL;
}

static spork__job *running(spork__executor *e, unsigned worker, uint64_t *began, uint64_t *item)
{
    const local *l = of(e);
    const spork__crew_worker *p = place_of(l, worker);
    const uint64_t current = atomic_load(&p->current);
    spork__job *job = job_at(l, worker, current, SPORK__TASK_RUNNING);
    /* While it takes a task, `began` is still that of the last one. */
    if (job == NULL || job->timeout_ms <= 0 || spork__crew_doing(current) == SPORK__DOING_TAKING) return NULL;
    *item = job->run != NULL ? atomic_load_explicit(&p->at, memory_order_acquire) : UINT64_MAX;
    *began = atomic_load_explicit(&p->began, memory_order_acquire);
    if (job->run != NULL && *item == UINT64_MAX) return NULL; /* between items */
    return job;
}

static bool where(spork__executor *e, const spork__job *job, unsigned *worker)
{
    uint64_t state = atomic_load(&of(e)->crew->tasks[job->place].state);
    *worker = (uint32_t)state >> 8 & 0xFFFFFF;
    return (uint32_t)(state >> 32) == job->sequence && (state & 0xFF) == SPORK__TASK_RUNNING &&
           *worker < of(e)->crew->worker_count;
}

static uint64_t doomed_of(const spork__job *job)
{
    return spork__crew_current(job->sequence, job->place, SPORK__DOING_DOOMED);
}

/* From RUNNING to DOOMED: from then on it comes to no result. With an item: taken back if it has gone on to another. */
static bool doom(const local *l, unsigned worker, const spork__job *job, uint64_t item)
{
    spork__crew_worker *p = place_of(l, worker);
    uint64_t seen = spork__crew_current(job->sequence, job->place, SPORK__DOING_RUNNING);
    uint64_t doomed = doomed_of(job);
    if (!atomic_compare_exchange_strong(&p->current, &seen, doomed) && seen != doomed) return false;
    spork__at(SPORK__AT_TASK_DOOMED);
    if (item == UINT64_MAX || atomic_load(&p->at) == item) return true;
    atomic_store(&p->current, spork__crew_current(job->sequence, job->place, SPORK__DOING_RUNNING));
    return false;
}

static bool stop(spork__executor *e, unsigned worker, const spork__job *job, uint64_t item, spork__stop how)
{
    local *l = of(e);
    spork__crew_worker *p = place_of(l, worker);
    uint64_t run = spork__crew_current(job->sequence, job->place, SPORK__DOING_RUNNING);
    if (how == SPORK__STOP_ASK) {
        uint64_t now = atomic_load(&p->current);
        /* Doomed: it is being stopped already, and is from the beginning, for another reason. */
        if (now != run && now != doomed_of(job) && spork__crew_doing(now) != SPORK__DOING_TAKING) return false;
        atomic_store(&p->asked_item, item);
        atomic_store(&p->asked, run);
        return true;
    }
    if (l->threads || l->hands == NULL || !doom(l, worker, job, item)) return false;
    spork__hands_stop(l->hands, worker, how);
    return true;
}

/* ---- results ---- */

/* Extents of a result that comes in become ours. */
static bool take_over(local *l, spork__result *r, uint32_t extent, uint64_t mark)
{
    spork__arena *a = &l->crew->arena;
    if (spork__arena_mark(a, extent) != mark || !spork__arena_hand(a, extent, SPORK__ARENA_NOBODY, l->me)) return false;
    spork__arena_set_mark(a, extent, 0);
    r->extents[r->extent_count++] = extent;
    return true;
}

static void forget(spork__executor *e, spork__result *r)
{
    local *l = of(e);
    for (uint32_t i = 0; i < r->extent_count; i++) spork__arena_free(&l->crew->arena, r->extents[i], l->me);
    if (r->extent_count > 0 && spork__bell_awaited(&words_of(l)->room_bell))
        spork__bell_ring(&words_of(l)->room_bell, &l->crew->room);
    r->extent_count = 0;
    spork__free(r->owned);
    r->owned = NULL;
    r->bytes = NULL;
    r->size = 0;
}

static spork_status damaged(spork__result *r)
{
    r->bytes = "the pool's shared memory is damaged: a task has written where it must not";
    r->size = strlen(r->bytes) + 1;
    return r->status = SPORK_BAD_MESSAGE;
}

static bool keep_bytes(const local *l, uint64_t size)
{
    uint64_t bytes;
    return size >= KEEP_FROM && spork__arena_used(&l->crew->arena, &bytes) < KEEP_MOST;
}

/* Bytes that are on their way out of shared memory. */
static spork_status copy_out(spork__result *r, const void *from, size_t size)
{
    void *to = r->small;
    if (size > sizeof r->small && (to = r->owned = spork__alloc(size, "a result")) == NULL) {
        r->bytes = "no memory for the result";
        r->size = strlen(r->bytes) + 1;
        return r->status = SPORK_NO_MEMORY;
    }
    spork__copy(to, from, size);
    r->bytes = to;
    r->size = size;
    return SPORK_OK;
}

/* What values refer to becomes ours, too. */
static bool take_references(local *l, spork__result *r, uint64_t mark)
{
    spork_args args;
    if (spork__values_decode(r->bytes, r->size, &args) != SPORK_OK) return false;
    for (unsigned i = 0; i < args.count; i++) {
        spork__crew_reference ref;
        if (!(r->references >> i & 1)) continue;
        if (args.items[i].kind != SPORK__KIND_STRUCT || args.items[i].unit != sizeof ref) return false;
        memcpy(&ref, args.items[i].as.p, sizeof ref);
        if (ref.kind == SPORK__KIND_POINTER && l->threads) continue;
        bool ours = false;
        for (uint32_t k = 0; k < r->extent_count; k++) ours = ours || r->extents[k] == ref.extent;
        if (!ours && !take_over(l, r, ref.extent, mark)) return false;
    }
    return true;
}

static spork_status status_of(uint32_t outcome)
{
    switch (outcome) {
    case SPORK__CREW_VALUES: return SPORK_OK;
    case SPORK__CREW_NO_SPACE: return SPORK_NO_SPACE;
    case SPORK__CREW_NO_FUNCTION: return SPORK_INVALID;
    default: return SPORK_FAILED;
    }
}

/* Of a task that is DONE. All is read once, and checked. */
static void take_result(local *l, spork__job *job, spork__result *r)
{
    const spork__crew_task *t = &l->crew->tasks[job->place];
    const spork__crew_place place = t->result;
    const uint64_t mark = spork__crew_current(job->sequence, job->place, SPORK__DOING_RUNNING);
    r->status = status_of(t->outcome);
    r->references = t->references;
    r->item = t->item;
    if (place.size == 0) return;
    const char *at = NULL;
    if (place.where != SPORK__IN_EXTENT || take_over(l, r, place.extent, mark))
        at = spork__crew_at(l->crew, job->place, SPORK__CREW_RESULT, &place);
    bool text = r->status != SPORK_OK;
    if (at == NULL || (text && at[place.size - 1] != 0)) {
        damaged(r);
        return;
    }
    if (place.where == SPORK__IN_EXTENT && !text && keep_bytes(l, place.size)) {
        r->bytes = at;
        r->size = (size_t)place.size;
    } else {
        bool copied = copy_out(r, at, (size_t)place.size) == SPORK_OK;
        if (place.where == SPORK__IN_EXTENT) spork__arena_free(&l->crew->arena, r->extents[--r->extent_count], l->me);
        if (!copied) return;
    }
    if (r->status == SPORK_OK && r->references != 0 && !take_references(l, r, mark)) damaged(r);
}

static spork_status decode(spork__executor *e, const spork__result *r, spork_args *args)
{
    *args = SPORK_NO_ARGS;
    return r->size == 0 ? SPORK_OK : spork__crew_decode(of(e)->crew, r->bytes, r->size, r->references, args);
}

/* ---- events ---- */

/* On its way with the result of the task that is lost; a mark is never 0. */
static bool lost(void *user, uint32_t owner, uint64_t mark)
{
    return owner != SPORK__ARENA_NOBODY || (mark != 0 && mark == *(const uint64_t *)user);
}

static void ended(local *l, unsigned worker, spork__job *job, spork__event *event, spork__result *r)
{
    const spork__crew_task *t = &l->crew->tasks[job->place];
    memset(event, 0, offsetof(spork__event, text));
    event->kind = SPORK__JOB_ENDED;
    event->worker = worker;
    event->job = job;
    event->began = t->began;
    event->ended = t->ended;
    take_result(l, job, r);
    if (r->status == SPORK_NO_MEMORY || r->status == SPORK_BAD_MESSAGE) {
        /* What was not taken over would be nobody's for ever. */
        uint64_t mark = spork__crew_current(job->sequence, job->place, SPORK__DOING_RUNNING);
        spork__arena_sweep(&l->crew->arena, lost, &mark);
    }
}

/* The next of what a worker has entered as done; what was told before, or is damaged, is skipped. */
static spork__job *next_done(local *l, unsigned worker)
{
    spork__crew_worker *p = place_of(l, worker);
    uint64_t tail = atomic_load_explicit(&p->done_tail, memory_order_acquire);
    uint64_t head = atomic_load_explicit(&l->heads[worker], memory_order_relaxed);
    spork__job *job = NULL;
    if (tail - head > SPORK__CREW_DONE) head = tail - SPORK__CREW_DONE; /* damaged: all that there can be, and no more */
    while (job == NULL && head != tail) {
        uint32_t index = atomic_load_explicit(&p->done[head++ % SPORK__CREW_DONE], memory_order_relaxed);
        atomic_store_explicit(&l->heads[worker], head, memory_order_relaxed);
        l->taken = true;
        if (index >= committed(l)) continue;
        job = atomic_load_explicit(&l->jobs[index], memory_order_acquire);
        if (job != NULL && atomic_load_explicit(&l->crew->tasks[index].state, memory_order_acquire) !=
                               spork__crew_state(job->sequence, worker, SPORK__TASK_DONE))
            job = NULL;
        atomic_store_explicit(&p->done_head, head, memory_order_release);
    }
    return job;
}

/* What a worker would have told at the end of its items, had it not died. */
static void take_last_words(const spork__crew_worker *p, spork__result *r)
{
    char text[SPORK__CREW_TEXT];
    r->item = atomic_load(&p->failed);
    if (r->item == UINT64_MAX) return;
    memcpy(text, p->text, sizeof text);
    text[sizeof text - 1] = 0;
    if (copy_out(r, text, strlen(text) + 1) == SPORK_OK) r->status = SPORK_FAILED;
}

/* A worker that has ended: what it was at is done, or lost. */
static bool bury(local *l, unsigned worker, spork__event *event, spork__result *(*into)(spork__job *job))
{
    spork__crew_worker *p = place_of(l, worker);
    uint64_t current = atomic_load(&p->current);
    spork__job *done = job_at(l, worker, current, SPORK__TASK_DONE);
    if (done != NULL) { /* not entered yet; the rest the next time */
        atomic_store(&p->current, 0);
        ended(l, worker, done, event, into(done));
        return true;
    }
    memset(event, 0, sizeof *event);
    event->kind = SPORK__WORKER_GONE;
    event->worker = worker;
    event->job = job_at(l, worker, current, SPORK__TASK_RUNNING);
    /* A task that it had only noted is another's, whose result may be on its way just now. */
    uint64_t mark = event->job == NULL ? 0 : (current & ~UINT64_C(0xFF)) | SPORK__DOING_RUNNING;
    /* While it took the task, what its place says of items was still of the last one. */
    bool of_items = event->job != NULL && event->job->run != NULL && spork__crew_doing(current) != SPORK__DOING_TAKING;
    event->item = of_items ? atomic_load(&p->at) : UINT64_MAX;
    if (of_items) take_last_words(p, into(event->job));
    spork__hands_bury(l->hands, worker, p, event);
    spork__arena_sweep(&l->crew->arena, lost, &mark);
    atomic_store(&p->current, 0);
    atomic_store(&p->asked, 0);
    l->taken = true;
    /* A wake-up may have died with it: everybody looks. */
    spork__os_unpark(&words_of(l)->ready.word, l->crew->ready.berth, true);
    return true;
}

static void make_room(local *l)
{
    if (!l->taken) return;
    l->taken = false;
    spork__bell_ring(&words_of(l)->room_bell, &l->crew->room);
}

/* The only lock that workers take is the arena's, for a moment. One that is stopped there would stop all who need room. */
static void look_for_the_stuck(local *l)
{
    uint32_t time, owner = spork__arena_locked_by(&l->crew->arena, &time);
    uint64_t now = spork__os_now();
    if (owner == 0 || owner == l->me || owner != l->stuck_owner || time != l->stuck_time) {
        l->stuck_owner = owner == l->me ? 0 : owner;
        l->stuck_time = time;
        l->stuck_looks = 0;
        l->stuck_at = now;
        return;
    }
    if (++l->stuck_looks < STUCK_LOOKS || now - l->stuck_at < STUCK_MS * UINT64_C(1000000)) return;
    for (unsigned i = 0; i < l->crew->worker_count; i++)
        if (atomic_load(&place_of(l, i)->id) == owner) spork__hands_stop(l->hands, i, SPORK__STOP_KILL);
    l->stuck_owner = 0;
}

static int look_ms(const spork__executor *e)
{
    const local *l = (const local *)e;
    return l->threads ? -1 : l->stuck_owner != 0 ? LOOK_MS : LOOK_SELDOM_MS;
}

static bool next(spork__executor *e, spork__event *event, bool look, spork__result *(*into)(spork__job *job))
{
    local *l = of(e);
    const unsigned count = l->crew->worker_count;
    if (l->hands == NULL) return false; /* all is over */
    for (unsigned i = 0; i < count; i++, l->cursor = (l->cursor + 1) % count) {
        spork__job *job = next_done(l, l->cursor);
        if (job == NULL) continue;
        ended(l, l->cursor, job, event, into(job));
        return true;
    }
    for (unsigned i = 0; i < count; i++) {
        if (spork__hands_is_up(l->hands, i, place_of(l, i))) {
            memset(event, 0, offsetof(spork__event, text));
            event->kind = SPORK__WORKER_UP;
            event->worker = i;
            return true;
        }
        if (look && spork__hands_has_ended(l->hands, i, place_of(l, i)))
            return bury(l, i, event, into);
    }
    if (look && !l->threads) look_for_the_stuck(l);
    make_room(l);
    return false;
}

/* ---- runs ---- */

static spork_status take_bytes(local *l, size_t size, uint32_t *extent, void **data, uint64_t *offset)
{
    size_t have;
    *offset = 0;
    *extent = SPORK__ARENA_NONE;
    spork_status status = spork__arena_take(&l->crew->arena, size, extent);
    if (status != SPORK_OK) return status;
    *data = spork__arena_data(&l->crew->arena, *extent, &have);
    if (*data == NULL) return spork_last_status();
    *offset = (uint64_t)((unsigned char *)*data - (unsigned char *)l->crew->block.data);
    return SPORK_OK;
}

enum { RUN_ITEMS, RUN_MARKS, RUN_CONTEXT, RUN_LIST, RUN_EXTENTS };
_Static_assert(RUN_EXTENTS == sizeof ((spork__run *)0)->extents / sizeof(uint32_t), "one for each");

static size_t up16(size_t size) { return (size + 15) & ~(size_t)15; }

static spork_status fill_run(local *l, spork__run *run, spork__crew_run *r)
{
    const spork__run_plan *p = &run->plan;
    void *data = NULL;
    size_t in = up16(p->in_size * p->count), out = up16(p->out_size * p->count);
    memset(r, 0, sizeof *r);
    spork_status status = take_bytes(l, in + out + 1, &run->extents[RUN_ITEMS], &data, &r->in);
    if (status != SPORK_OK) return status;
    spork__copy(data, p->in, p->in_size * p->count);
    r->out = r->in + in;
    run->out = (unsigned char *)data + in;
    if ((status = take_bytes(l, p->count, &run->extents[RUN_MARKS], &data, &r->marks)) != SPORK_OK) return status;
    memset(data, SPORK__ITEM_PENDING, p->count);
    run->marks = data;
    if (p->context_size > 0) {
        status = take_bytes(l, p->context_size, &run->extents[RUN_CONTEXT], &data, &r->context);
        if (status != SPORK_OK) return status;
        spork__copy(data, p->context, p->context_size);
        r->context_size = p->context_size;
    }
    r->in_size = p->in_size;
    r->out_size = p->out_size;
    r->items = r->count = p->count;
    r->chunk = p->chunk;
    r->timeout_ms = p->timeout_ms;
    return SPORK_OK;
}

static void run_close(spork__executor *e, spork__run *run)
{
    local *l = of(e);
    for (int i = 0; i < RUN_EXTENTS; i++)
        if (run->extents[i] != SPORK__ARENA_NONE) spork__arena_free(&l->crew->arena, run->extents[i], l->me);
    l->runs[run->place] = false;
}

static spork_status run_open(spork__executor *e, spork__run *run)
{
    local *l = of(e);
    for (run->place = 0; run->place < SPORK__CREW_RUNS && l->runs[run->place];) run->place++;
    if (run->place == SPORK__CREW_RUNS) return SPORK_TIMEOUT;
    for (int i = 0; i < RUN_EXTENTS; i++) run->extents[i] = SPORK__ARENA_NONE;
    l->runs[run->place] = true;
    spork_status status = fill_run(l, run, &words_of(l)->runs[run->place]);
    if (status != SPORK_OK) run_close(e, run);
    return status;
}

/* No helper is at work any more. */
static spork_status run_again(spork__executor *e, spork__run *run, const spork__again *list, size_t count)
{
    local *l = of(e);
    void *data = NULL;
    spork__crew_run *r = &words_of(l)->runs[run->place];
    if (run->extents[RUN_LIST] != SPORK__ARENA_NONE)
        spork__arena_free(&l->crew->arena, run->extents[RUN_LIST], l->me);
    spork_status status = take_bytes(l, count * sizeof(uint64_t), &run->extents[RUN_LIST], &data, &r->list);
    if (status != SPORK_OK) return status;
    for (size_t i = 0; i < count; i++) {
        ((uint64_t *)data)[i] = spork__crew_entry(list[i].attempt, list[i].item);
        atomic_store((_Atomic unsigned char *)(uintptr_t)&run->marks[list[i].item], SPORK__ITEM_PENDING);
    }
    r->count = count;
    r->chunk = 1;
    atomic_store(&r->next, 0);
    return SPORK_OK;
}

static bool run_left(spork__executor *e, const spork__run *run)
{
    const spork__crew_run *r = &words_of(of(e))->runs[run->place];
    return atomic_load_explicit(&r->next, memory_order_relaxed) < r->count;
}

static size_t run_done(spork__executor *e, const spork__run *run)
{
    uint64_t done = atomic_load_explicit(&words_of(of(e))->runs[run->place].done, memory_order_relaxed);
    return done < run->plan.count ? (size_t)done : run->plan.count;
}

static void run_stop(spork__executor *e, spork__run *run) { atomic_store(&words_of(of(e))->runs[run->place].stop, 1); }

/* ---- the rest ---- */

static spork_status start(spork__executor *e, unsigned worker)
{
    local *l = of(e);
    spork__crew_worker *p = place_of(l, worker);
    atomic_store(&p->id, 0);
    atomic_store(&p->life, SPORK__LIFE_STARTING);
    memset(p->text, 0, sizeof p->text);
    return spork__hands_start(l->hands, worker);
}

static void ask_all(spork__executor *e)
{
    for (unsigned i = 0; i < of(e)->crew->worker_count; i++) {
        spork__crew_worker *p = place_of(of(e), i);
        uint64_t now = atomic_load(&p->current);
        atomic_store(&p->asked_item, UINT64_MAX);
        if (spork__crew_doing(now) == SPORK__DOING_RUNNING) atomic_store(&p->asked, now);
    }
}

static void end(spork__executor *e, spork__stop how)
{
    local *l = of(e);
    spork__crew_words *w = words_of(l);
    atomic_store(&w->stop, 1);
    atomic_store(&w->closing, 1);
    spork__bell_ring(&w->ready, &l->crew->ready);
    spork__bell_ring(&w->room_bell, &l->crew->room);
    for (unsigned i = 0; i < l->crew->worker_count && how != SPORK__STOP_ASK; i++) spork__hands_stop(l->hands, i, how);
}

static void finish(spork__executor *e)
{
    spork__crew_words *w = words_of(of(e));
    atomic_store(&w->closing, 1);
    spork__bell_ring(&w->ready, &of(e)->crew->ready);
}

static size_t handles(spork__executor *e, spork__wait_handle *list, size_t room, bool *all)
{
    return spork__hands_handles(of(e)->hands, list, room, all);
}
static void fired(spork__executor *e, size_t item) { spork__hands_fired(of(e)->hands, item); }
static int pid(spork__executor *e, unsigned worker)
{
    return of(e)->hands != NULL ? spork__hands_pid(of(e)->hands, worker) : 0;
}

static void each(spork__executor *e, void (*fn)(spork__job *job, void *user), void *user)
{
    local *l = of(e);
    for (uint32_t i = 0; i < committed(l); i++) {
        spork__job *job = atomic_load(&l->jobs[i]);
        if (job != NULL) fn(job, user);
    }
}

static bool any(const spork__executor *e)
{
    const local *l = (const local *)e;
    for (unsigned i = 0; i < l->crew->worker_count; i++) {
        const spork__crew_worker *p = place_of(l, i);
        if (atomic_load_explicit(&p->done_tail, memory_order_acquire) !=
            atomic_load_explicit(&l->heads[i], memory_order_relaxed))
            return true;
    }
    return false;
}

static void disband(spork__executor *e)
{
    spork__hands_close(of(e)->hands);
    of(e)->hands = NULL;
}

static void close_executor(spork__executor *e)
{
    local *l = of(e);
    spork__hands_close(l->hands);
    spork__crew_free(l->crew);
    spork__free(l);
}

static const spork__executor_kind local_kind = {.start = start,
                                          .pack = pack_up,
                                          .submit = submit,
                                          .again = again,
                                          .withdraw = withdraw,
                                          .drop = drop,
                                          .each = each,
                                          .any = any,
                                          .next = next,
                                          .running = running,
                                          .where = where,
                                          .stop = stop,
                                          .ask_all = ask_all,
                                          .end = end,
                                          .finish = finish,
                                          .look_ms = look_ms,
                                          .handles = handles,
                                          .fired = fired,
                                          .pid = pid,
                                          .decode = decode,
                                          .forget = forget,
                                          .run_open = run_open,
                                          .run_again = run_again,
                                          .run_left = run_left,
                                          .run_done = run_done,
                                          .run_stop = run_stop,
                                          .run_close = run_close,
                                          .disband = disband,
                                          .close = close_executor};

/* ---- opening ---- */

static spork_status fill(local *l, const spork_pool_options *o, const char *name,
                         const spork__chime *call)
{
    uint32_t initializer = 0;
    l->threads = o->threads;
    l->me = spork__tree_self();
    if (l->me == 0 || (l->crew = spork__crew_new(o->workers, o->threads)) == NULL) return spork_last_status();
    words_of(l)->max_tasks = o->max_tasks_per_child;
    if (o->initializer != NULL) {
        spork_status status = function_number(l, (uintptr_t)o->initializer, &initializer);
        if (status != SPORK_OK) return spork__fail_in(status, "the initializer");
        initializer++;
    }
    l->hands = spork__hands_new(o, l->crew, name, initializer, call);
    return l->hands != NULL ? SPORK_OK : spork_last_status();
}

spork__executor *spork__local_open(const spork_pool_options *options, const char *name,
                                   const spork__chime *call)
{
    local *l = spork__alloc(sizeof *l, "a pool");
    if (l == NULL) return NULL;
    l->executor.kind = &local_kind;
    l->executor.kills = !options->threads;
    if (fill(l, options, name, call) != SPORK_OK) {
        close_executor(&l->executor);
        return NULL;
    }
    l->executor.bell = &words_of(l)->events;
    l->executor.ear = &l->crew->events;
    words_of(l)->clocked = spork__trace_is_on();
    return &l->executor;
}
