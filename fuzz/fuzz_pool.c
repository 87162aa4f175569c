/* A pool whose workers write anything over the memory that they share with it. Its owner (src/pool/local.c) gives jobs and takes results; this
 * input plays the workers, and between their steps writes over words of the table, of places, tasks and extents. The owner goes on: each
 * job ends at most once, with values or a sentence that lie where they are said to, and no call takes for ever.
 *
 * An input is a list of commands of four bytes: {what, which, a, b}; some take bytes that follow. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/pool/crew.h"
#include "../src/pool/executor.h"
#include "expect.h"
#include "ring.h"
#include "robust.h"
#include "tree.h"

enum { WORKERS = 3, JOBS = 12, COMMANDS = 200, MOST_MIB = 128 };

static volatile unsigned sink;
static int task(const spork_args *args, spork_task *t)
{
    (void)args, (void)t;
    return 0;
}
static int other_task(const spork_args *args, spork_task *t)
{
    (void)args, (void)t;
    return 1;
}

typedef struct errand {
    spork__job job; /* first: what events name */
    spork__result result;
    bool given, ended;
    unsigned events;
} errand;

static errand errands[JOBS];
static spork__executor *executor;
static spork__crew *crew;

static bool is_the_crew(const spork__object *object, const void *user)
{
    (void)user;
    crew = (spork__crew *)(uintptr_t)object;
    return true;
}

static void open_pool(void)
{
    spork_pool_options o;
    memset(&o, 0, sizeof o);
    o.workers = WORKERS;
    o.method = SPORK_SPAWN; /* none is ever started */
    static const spork__chime nobody = {SPORK__NO_HANDLE, SPORK__NO_HANDLE};
    executor = spork__local_open(&o, "pool", &nobody);
    EXPECT(executor != NULL && spork__object_any(&spork__crew_kind, is_the_crew, NULL));
    memset(errands, 0, sizeof errands);
}

static spork__result *into(spork__job *job)
{
    errand *e = (errand *)(void *)job;
    EXPECT(e >= errands && e < errands + JOBS && e->given && !e->ended);
    memset(&e->result, 0, sizeof e->result);
    return &e->result;
}

/* ---- the owner's steps ---- */

static void give(const uint8_t *c)
{
    errand *e = &errands[c[1] % JOBS];
    static const unsigned char bytes[10000] = {1};
    spork_args args = spork_pack((int)c[2], spork_bytes_of(bytes, c[3] * (c[2] % 4 == 0 ? 39u : 1u)));
    if (e->given) return;
    memset(e, 0, sizeof *e);
    e->job.fn = c[2] % 2 == 0 ? task : other_task;
    e->job.values = &args;
    e->job.timeout_ms = c[2] % 3 == 0 ? 1000 : 0;
    e->given = true;
    spork_status status = executor->kind->submit(executor, &e->job);
    EXPECT(status == SPORK_OK || spork_error()[0] != 0 || status == SPORK_TIMEOUT);
    if (status != SPORK_OK) e->given = false;
}

static void drop(errand *e)
{
    if (!e->given) return;
    executor->kind->drop(executor, &e->job);
    executor->kind->forget(executor, &e->result);
    e->given = e->ended = false;
}

static void look_at_values(const spork__result *r)
{
    spork_args args;
    unsigned sum = 0;
    spork_status status = executor->kind->decode(executor, r, &args);
    EXPECT(status == SPORK_OK || spork_error()[0] != 0);
    for (uint32_t i = 0; status == SPORK_OK && i < args.count; i++) {
        const spork_item *item = &args.items[i];
        EXPECT(item->kind != SPORK__KIND_POINTER && item->kind < SPORK__KIND_OBJECT);
        if (item->kind <= SPORK__KIND_FLOAT) continue;
        uint64_t size = item->count * (uint64_t)item->unit;
        for (uint64_t k = 0; k < size; k += 61) sum += ((const unsigned char *)item->as.p)[k];
        if (size > 0) sum += ((const unsigned char *)item->as.p)[size - 1];
    }
    sink = sink + sum;
}

static void take_all(bool look)
{
    spork__event event;
    for (unsigned i = 0; executor->kind->next(executor, &event, look, into); i++) {
        EXPECT(i < 2 * JOBS && event.kind == SPORK__JOB_ENDED && event.worker < WORKERS);
        errand *e = (errand *)(void *)event.job;
        EXPECT(e >= errands && e < errands + JOBS && e->given && !e->ended);
        e->ended = true;
        const spork__result *r = &e->result;
        EXPECT(r->extent_count <= SPORK__RESULT_EXTENTS);
        if (r->status == SPORK_OK)
            look_at_values(r);
        else
            EXPECT(r->size == 0 || memchr(r->bytes, 0, r->size) != NULL);
        drop(e);
    }
    EXPECT(!executor->kind->any(executor)); /* else whoever waits for an event would not sleep */
}

static void ask(const uint8_t *c)
{
    unsigned worker;
    uint64_t began, item;
    errand *e = &errands[c[1] % JOBS];
    spork__job *job = executor->kind->running(executor, c[2] % WORKERS, &began, &item);
    if (job != NULL) EXPECT(((errand *)(void *)job)->given);
    executor->kind->ask_all(executor);
    if (!e->given) return;
    if (executor->kind->where(executor, &e->job, &worker)) {
        EXPECT(worker < WORKERS);
        executor->kind->stop(executor, worker, &e->job, UINT64_MAX, SPORK__STOP_ASK);
    }
    if (c[3] % 4 == 0 && executor->kind->withdraw(executor, &e->job)) drop(e);
}

/* ---- the workers' ---- */

/* As a worker would end a job; `bytes` become its result. */
static void do_job(const uint8_t *c, const uint8_t *bytes, size_t size)
{
    void *room;
    errand *e = &errands[c[1] % JOBS];
    if (!e->given || e->job.place >= SPORK__CREW_TASKS) return;
    unsigned number = c[2] % WORKERS;
    spork__crew_task *t = &crew->tasks[e->job.place];
    spork__crew_worker *w = &crew->workers[number];
    uint64_t run = spork__crew_current(e->job.sequence, e->job.place, SPORK__DOING_RUNNING);
    uint32_t me = spork__tree_self();
    size_t large = c[3] & 1 ? size + 5000 : c[3] & 2 ? size + 200 : size;
    spork__crew_place place = {0, SPORK__IN_TASK, SPORK__ARENA_NONE};
    if (spork__crew_room(crew, e->job.place, SPORK__CREW_RESULT, large, &place, &room) != SPORK_OK) return;
    if (size > 0) memcpy(room, bytes, size);
    place.size = size;
    t->outcome = c[3] >> 2 & 3;
    t->references = c[3] & 0x10 ? 3 : 0;
    t->result = place;
    if (c[3] & 0x20) { /* one that is to be referred to */
        uint32_t extent;
        if (spork__arena_take(&crew->arena, 100, &extent) == SPORK_OK) {
            spork__arena_set_mark(&crew->arena, extent, run);
            spork__arena_hand(&crew->arena, extent, me, SPORK__ARENA_NOBODY);
        }
    }
    if (place.where == SPORK__IN_EXTENT) {
        spork__arena_set_mark(&crew->arena, place.extent, run);
        spork__arena_hand(&crew->arena, place.extent, me, SPORK__ARENA_NOBODY);
    }
    spork__phase phase = c[3] & 0x40 ? SPORK__TASK_RUNNING : SPORK__TASK_DONE;
    if (phase == SPORK__TASK_RUNNING) atomic_store(&w->current, run);
    atomic_store(&t->state, spork__crew_state(e->job.sequence, number, phase));
    atomic_store(&w->done[w->done_tail % SPORK__CREW_DONE], e->job.place);
    atomic_fetch_add(&w->done_tail, 1);
}

/* Eight bytes somewhere: of the words, of a place, of a task, of the table of extents. */
static void write_over(const uint8_t *c, const uint8_t *bytes, size_t size)
{
    unsigned char value[8] = {0}, *base;
    size_t room, at = (size_t)c[2] << 8 | c[3];
    memcpy(value, bytes, size < sizeof value ? size : sizeof value);
    switch (c[1] % 6) {
    case 0: base = (unsigned char *)crew->words, room = offsetof(spork__crew_words, hints), at *= 8; break;
    case 1: base = (unsigned char *)crew->words, room = sizeof *crew->words, at *= 8; break;
    case 2: base = (unsigned char *)crew->workers, room = offsetof(spork__crew_worker, done) + 64, at *= 8; break;
    case 3: base = (unsigned char *)crew->workers, room = WORKERS * sizeof *crew->workers, at *= 4; break;
    case 4: base = (unsigned char *)crew->tasks, room = 128 * sizeof *crew->tasks, at *= 8; break;
    default: base = (unsigned char *)crew->arena.table, room = 4096, at *= 8;
    }
    memcpy(base + at % (room - sizeof value), value, sizeof value);
    memset(crew->arena.table, 0, 4); /* a lock that names nobody is taken over after 10 ms: right, but too slow */
}

static size_t step(const uint8_t *c, const uint8_t *rest, size_t size)
{
    size_t used = 0;
    switch (c[0] % 8) {
    case 0:
    case 1: give(c); break;
    case 2:
    case 3:
        used = c[0] < size ? c[0] : size;
        do_job(c, rest, used);
        break;
    case 4:
    case 5:
        used = size < 8 ? size : 8;
        write_over(c, rest, used);
        break;
    case 6: take_all(c[1] % 2 == 0); break;
    default: ask(c);
    }
    return used;
}

/* What a damaged word may make the owner ask for is little: else the system would kill somebody for it. */
static size_t memory_of_pool(void)
{
    size_t bytes = spork__os_block_committed(&crew->block);
    return bytes < crew->block.size ? bytes : 0; /* it does not tell */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    open_pool();
    for (unsigned i = 0; size >= 4 && i < COMMANDS; i++) {
        size_t used = 4 + step(data, data + 4, size - 4);
        data += used;
        size -= used;
    }
    take_all(true);
    for (int i = 0; i < JOBS; i++) drop(&errands[i]);
    EXPECT(memory_of_pool() < (size_t)MOST_MIB << 20);
    executor->kind->end(executor, SPORK__STOP_ASK);
    executor->kind->close(executor);
    return 0;
}
