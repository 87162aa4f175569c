#include "shm_storm.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST = 1000 };

typedef struct ledger {
    tally_ledger faults;
    _Atomic bool stop;
    _Atomic long made, opened;
} ledger;

/* What a block begins with; the rest of it is bytes of that pattern. */
typedef struct head {
    _Atomic uint32_t ready; /* once all of it is */
    uint32_t size, pattern;
} head;

typedef struct view {
    ledger *ledger;
    int place, count, largest, maker;
    unsigned random;
} view;

static unsigned next_random(unsigned *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

static void name_of(char name[64], int maker, int place, spork_lifetime lifetime)
{
    snprintf(name, 64, "storm-%d-%d-%s", maker, place, lifetime == SPORK_CREATOR ? "creator" : "manual");
}

static void look(view *v, spork_shm *block)
{
    size_t size = spork_shm_size(block);
    const unsigned char *bytes = spork_shm_data(block);
    head *h = spork_shm_data(block);
    atomic_fetch_add(&v->ledger->opened, 1);
    if (size < SMALLEST || size > (size_t)(SMALLEST + v->largest)) {
        tally_fault_add(&v->ledger->faults, TALLY_TORN, "a block of %zu bytes", size);
        return;
    }
    bool ready = atomic_load_explicit(&h->ready, memory_order_acquire) != 0;
    unsigned char expected = (unsigned char)h->pattern, different = 0;
    for (size_t i = sizeof *h; i < size; i++) different |= bytes[i] ^ expected; /* all of it is there, filled or not */
    if (ready && (h->size != size || different != 0))
        tally_fault_add(&v->ledger->faults, TALLY_TORN, "a block of %zu bytes is not what was written", size);
}

static void fill(view *v, spork_shm *block)
{
    head *h = spork_shm_data(block);
    h->size = (uint32_t)spork_shm_size(block);
    h->pattern = next_random(&v->random) & 0xFF;
    memset(h + 1, (int)h->pattern, h->size - sizeof *h);
    atomic_store_explicit(&h->ready, 1, memory_order_release);
    atomic_fetch_add(&v->ledger->made, 1);
}

static size_t some_size(view *v) { return SMALLEST + next_random(&v->random) % (unsigned)v->largest; }

/* Windows keeps a name while anybody has it open, and does not give it away meanwhile. */
static bool may_be_held(spork_status status)
{
#ifdef _WIN32
    return status == SPORK_EXISTS || status == SPORK_DENIED || status == SPORK_NOT_FOUND;
#else
    (void)status;
    return false;
#endif
}

static void make_own(view *v)
{
    char name[64];
    name_of(name, v->maker, v->place, SPORK_CREATOR);
    spork_shm *block = spork_shm_create(name, some_size(v), SPORK_CREATOR);
    if (block != NULL)
        fill(v, block);
    else if (spork_last_status() == SPORK_EXISTS && !may_be_held(SPORK_EXISTS))
        tally_fault_add(&v->ledger->faults, TALLY_LEAKED, "a dead creator's name: %s", spork_error());
    else if (!may_be_held(spork_last_status()))
        tally_status(&v->ledger->faults, spork_last_status());
    if (next_random(&v->random) % 4 == 0) spork_sleep(1);
    spork_shm_free(block);
}

static void make_lasting(view *v)
{
    char name[64];
    name_of(name, v->maker, v->place, SPORK_MANUAL);
    spork_shm *block = spork_shm_create(name, some_size(v), SPORK_MANUAL);
    if (block != NULL)
        fill(v, block);
    else if (spork_last_status() == SPORK_EXISTS) { /* of one that was killed: whole */
        if ((block = spork_shm_open(name)) != NULL) look(v, block);
    }
    if (block == NULL && !may_be_held(spork_last_status())) tally_status(&v->ledger->faults, spork_last_status());
    if (next_random(&v->random) % 4 == 0) spork_sleep(1);
    spork_shm_free(block);
    spork_status status = spork_shm_remove(name);
    if (status != SPORK_OK && !may_be_held(status)) tally_status(&v->ledger->faults, status);
}

static void open_anothers(view *v)
{
    char name[64];
    name_of(name, v->maker, (int)(next_random(&v->random) % (unsigned)v->count),
            next_random(&v->random) % 2 == 0 ? SPORK_CREATOR : SPORK_MANUAL);
    spork_shm *block = spork_shm_open(name);
    if (block != NULL)
        look(v, block);
    else if (spork_last_status() != SPORK_NOT_FOUND && !may_be_held(spork_last_status()))
        tally_status(&v->ledger->faults, spork_last_status());
    spork_shm_free(block);
}

static int target_shm(const spork_args *args)
{
    view v;
    spork_shm *shm;
    if (spork_unpack(args, &shm, &v.place, &v.count, &v.largest, &v.maker, &v.random) != SPORK_OK) return 100;
    v.ledger = spork_shm_data(shm);
    while (!atomic_load(&v.ledger->stop)) {
        make_own(&v);
        open_anothers(&v);
        make_lasting(&v);
        open_anothers(&v);
    }
    return 0;
}

/* ---- the storm ---- */

typedef struct storm {
    const shm_plan *plan;
    shm_result result;
    spork_shm *shm;
    ledger *ledger;
    spork_process *places[SHM_PLACES];
    unsigned random;
} storm;

static bool start(storm *s, int i)
{
    s->places[i] = spork_process_new(
        target_shm, spork_pack(s->shm, i, s->plan->count, s->plan->largest, spork_getpid(), next_random(&s->random)));
    spork_status status = spork_process_start(s->places[i]);
    if (status == SPORK_OK) return true;
    tally_status(&s->ledger->faults, status);
    spork_process_free(s->places[i]);
    s->places[i] = NULL;
    return false;
}

static void bury(storm *s, int i)
{
    if (spork_process_join(s->places[i], harness_patience_ms()) == SPORK_TIMEOUT) {
        tally_fault_add(&s->ledger->faults, TALLY_HUNG, "a process does not end");
        spork_process_kill(s->places[i]);
        spork_process_join(s->places[i], SPORK_FOREVER);
    }
    int code = spork_process_exitcode(s->places[i]);
    if (code == -9)
        s->result.deaths++;
    else if (code != 0)
        tally_fault_add(&s->ledger->faults, TALLY_WRONG, "a process ended with %d", code);
    spork_process_free(s->places[i]);
    s->places[i] = NULL;
}

/* All are dead: creators' names are gone, the lasting ones are whole, and can be removed. */
static void take_stock(storm *s)
{
    view v = {.ledger = s->ledger, .largest = s->plan->largest};
    for (int i = 0; i < s->plan->count; i++) {
        char name[64];
        name_of(name, spork_getpid(), i, SPORK_CREATOR);
        spork_shm *block = spork_shm_open(name);
        if (block != NULL) tally_fault_add(&s->ledger->faults, TALLY_LEAKED, "a dead creator's block is there");
        spork_shm_free(block);
        name_of(name, spork_getpid(), i, SPORK_MANUAL);
        block = spork_shm_open(name);
        if (block == NULL) continue;
        look(&v, block);
        spork_shm_free(block);
        if (spork_shm_remove(name) != SPORK_OK) tally_fault_add(&s->ledger->faults, TALLY_LEAKED, "%s", spork_error());
    }
}

shm_result shm_storm(const shm_plan *plan)
{
    storm s;
    memset(&s, 0, sizeof s);
    s.plan = plan;
    s.random = plan->seed;
    s.shm = spork_shm_new(sizeof(ledger));
    s.ledger = spork_shm_data(s.shm);
    if (s.ledger == NULL) abort();
    int running = 0;
    while (running < plan->count && start(&s, running)) running++;
    harness_budget deaths = plan->deaths;
    while (running == plan->count && atomic_load(&s.ledger->faults.total) == 0 &&
           harness_goes_on(&deaths, s.result.deaths)) {
        int i = (int)(next_random(&s.random) % (unsigned)running);
        spork_sleep((int)(next_random(&s.random) % 3));
        spork_process_kill(s.places[i]);
        bury(&s, i);
        if (!start(&s, i)) break; /* no storm without processes */
    }
    atomic_store(&s.ledger->stop, true);
    for (int i = 0; i < running; i++)
        if (s.places[i] != NULL) bury(&s, i);
    take_stock(&s);
    s.result.made = atomic_load(&s.ledger->made);
    s.result.opened = atomic_load(&s.ledger->opened);
    for (int f = 0; f < TALLY_FAULTS; f++) s.result.faults[f] = atomic_load(&s.ledger->faults.counts[f]);
    memcpy(s.result.first, s.ledger->faults.first, sizeof s.result.first);
    spork_shm_free(s.shm);
    return s.result;
}
