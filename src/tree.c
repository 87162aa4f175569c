/* A slot is taken, given up and taken over by one compare-and-swap of `who`, so the table needs no lock of its own:
 *
 *     who = generation << 32 | pid       pid 0: free
 *
 * What a death leaves behind, at each point:
 *     before the CAS of who         nothing
 *     after it, before `started`    a slot whose start time is not its owner's yet: the pid alone is asked, and only until a joiner
 *                                   comes by. Nobody has been told that id, so nothing in shared memory names it
 *     later                         the slot of a dead process: every question about its id is answered "dead"
 * Nobody buries the dead: a joiner that meets a dead process' slot takes it over with the next generation, which makes all
 * older ids of that slot dead at a glance.
 *
 * Order: `who`, `start`, `started` are written in this order, each released, and read in the other, each acquired: who reads
 * the slot's generation in `started` reads that generation's start, or a later one; and then `who` has moved on, which is
 * looked at once more. */
#include "tree.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "error.h"

typedef struct slot {
    _Alignas(64) _Atomic uint64_t who;
    _Atomic uint64_t start;    /* the process' start time */
    _Atomic uint32_t started;  /* the generation that `start` belongs to */
    _Atomic uint32_t text[11]; /* how it is called */
} slot;
_Static_assert(sizeof(slot) == 64, "one cache line each");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a hidden lock would not reach across processes");

typedef struct tree {
    uint32_t magic, layout, slots;
    _Atomic uint32_t next;  /* round robin: an id comes back as late as possible */
    uint64_t pid_namespace; /* of the root: other namespaces number processes differently */
    _Alignas(64) slot slot[SPORK__TREE_SLOTS];
} tree;

enum { MAGIC = 0x45525453 /* "STRE" */, LAYOUT = 2 };

static struct {
    tree *_Atomic shared; /* set once, read without the lock */
    spork__block block;
    _Atomic uint32_t *_Atomic self; /* on a page that a fork wipes; where there is no such page, checked by self_pid */
    bool wiped, watched; /* watched: each fork tells its child */
    _Atomic int self_pid;
    const char *_Atomic name;
} here = {.name = "MainProcess"};

static uint32_t generation_of(uint64_t who)
{
    return (uint32_t)(who >> 32) & ((1u << SPORK__TREE_GENERATION_BITS) - 1);
}
static uint32_t id_of(uint32_t index, uint64_t who) { return generation_of(who) << SPORK__TREE_SLOT_BITS | index; }
static int pid_of(uint64_t who) { return (int)(uint32_t)who; }

static const _Atomic uint32_t nobody;
const _Atomic uint32_t *_Atomic spork__tree_glance = &nobody;

static spork_status prepare_self(void)
{
    void *page = NULL;
    if (here.self != NULL) return SPORK_OK;
    spork_status status = spork__os_fork_wiped_page(&page, &here.wiped);
    if (status != SPORK_OK) return status;
    here.self = page;
    if (here.wiped || here.watched) atomic_store_explicit(&spork__tree_glance, here.self, memory_order_release);
    return SPORK_OK;
}

void spork__tree_watch_forks(void)
{
    spork__os_lock(SPORK__LOCK_TREE);
    here.watched = true;
    if (here.self != NULL) atomic_store_explicit(&spork__tree_glance, here.self, memory_order_release);
    spork__os_unlock(SPORK__LOCK_TREE);
}

void spork__tree_forked(void)
{
    if (here.self != NULL && !here.wiped) atomic_store_explicit(here.self, 0, memory_order_relaxed);
}

static spork_status new_table(void)
{
    spork_status status = spork__os_block_new_sparse(&here.block, sizeof(tree));
    if (status != SPORK_OK) return status;
    status = spork__os_block_populate(&here.block, 0, offsetof(tree, slot));
    if (status != SPORK_OK) spork__os_block_free(&here.block);
    return status;
}

spork_status spork__tree_open(spork_native *handle)
{
    spork_status status = SPORK_OK;
    spork__os_lock(SPORK__LOCK_TREE);
    if (here.shared == NULL && (status = prepare_self()) == SPORK_OK &&
        (status = new_table()) == SPORK_OK) {
        tree *t = here.block.data;
        t->layout = LAYOUT;
        t->slots = SPORK__TREE_SLOTS;
        t->pid_namespace = spork__os_pid_namespace();
        t->magic = MAGIC;
        here.shared = t;
    }
    *handle = here.shared != NULL ? here.block.handle : SPORK__NO_HANDLE;
    spork__os_unlock(SPORK__LOCK_TREE);
    return status;
}

spork_status spork__tree_map(spork_native handle)
{
    spork__block block;
    spork_status status = prepare_self();
    if (here.shared != NULL) return SPORK_OK; /* a fork server's child: mapped by the server */
    if (status == SPORK_OK) status = spork__os_block_open(&block, handle, sizeof(tree));
    if (status != SPORK_OK) return status;
    const tree *t = block.data;
    if (t->magic != MAGIC || t->layout != LAYOUT || t->slots != SPORK__TREE_SLOTS) {
        spork__os_block_free(&block);
        return spork__fail(SPORK_BAD_MESSAGE, "the table of processes is of another version of Spork, or damaged");
    }
    here.block = block;
    here.shared = block.data;
    return SPORK_OK;
}

spork_native *spork__tree_handle(void) { return &here.block.handle; }

/* Is the process that `who` of that slot names alive? Any doubt means yes. */
static bool slot_alive(slot *s, uint64_t who)
{
    if (pid_of(who) == 0) return false;
    uint32_t started = atomic_load_explicit(&s->started, memory_order_acquire);
    uint64_t start = atomic_load_explicit(&s->start, memory_order_acquire);
    if (atomic_load_explicit(&s->who, memory_order_relaxed) != who)
        return false; /* left, or taken over after its death */
    return spork__os_process_alive(pid_of(who), started == (uint32_t)(who >> 32) ? start : 0);
}

void spork__tree_name(const char *name) { here.name = name; }

/* Before `started`: nobody knows the id yet. */
static void write_text(slot *s, int pid)
{
    char text[sizeof s->text];
    memset(text, 0, sizeof text);
    snprintf(text, sizeof text, "%.27s (pid %d)", here.name, pid);
    for (size_t i = 0; i < sizeof s->text / sizeof *s->text; i++) {
        uint32_t word;
        memcpy(&word, text + i * sizeof word, sizeof word);
        atomic_store_explicit(&s->text[i], word, memory_order_relaxed);
    }
}

void spork__tree_text(uint32_t id, char *text, size_t size)
{
    char found[sizeof here.shared->slot->text + 1] = "";
    slot *s = here.shared != NULL ? &here.shared->slot[id & (SPORK__TREE_SLOTS - 1)] : NULL;
    if (s != NULL && id_of(id & (SPORK__TREE_SLOTS - 1), atomic_load_explicit(&s->who, memory_order_acquire)) == id) {
        for (size_t i = 0; i < sizeof s->text / sizeof *s->text; i++) {
            uint32_t word = atomic_load_explicit(&s->text[i], memory_order_acquire);
            memcpy(found + i * sizeof word, &word, sizeof word);
        }
        if (id_of(id & (SPORK__TREE_SLOTS - 1), atomic_load_explicit(&s->who, memory_order_acquire)) != id)
            found[0] = 0;
    }
    snprintf(text, size, "%s", found[0] != 0 ? found : "a process that has ended");
}

static bool take(uint32_t index, int pid, uint64_t start, uint32_t *id)
{
    slot *s = &here.shared->slot[index];
    uint64_t who = atomic_load_explicit(&s->who, memory_order_acquire);
    uint64_t mine = (((who >> 32) + 1) << 32) | (uint32_t)pid;
    if (generation_of(mine) == 0) mine += (uint64_t)1 << 32; /* generation 0 is nobody's: an id is never 0 */
    if (slot_alive(s, who)) return false;
    if (!atomic_compare_exchange_strong_explicit(&s->who, &who, mine, memory_order_acq_rel, memory_order_relaxed))
        return false;
    write_text(s, pid);
    atomic_store_explicit(&s->start, start, memory_order_release); /* who sees this sees our `who` too */
    atomic_store_explicit(&s->started, (uint32_t)(mine >> 32), memory_order_release);
    *id = id_of(index, mine);
    return true;
}

static uint32_t known_self(void)
{
    if (here.self == NULL || here.shared == NULL) return 0;
    uint32_t id = atomic_load_explicit(here.self, memory_order_acquire);
    return !here.wiped && id != 0 && here.self_pid != spork__os_getpid() ? 0 : id;
}

static size_t offset_of(uint32_t index) { return offsetof(tree, slot) + index * sizeof(slot); }

static uint32_t join(void) /* under SPORK__LOCK_TREE */
{
    uint32_t id = known_self();
    if (id != 0) return id;
    uint64_t space = spork__os_pid_namespace();
    if (space != here.shared->pid_namespace && space != 0 && here.shared->pid_namespace != 0) {
        spork__fail(SPORK_UNSUPPORTED,
                    "this process is in another pid namespace than the root of its Spork family, and could not "
                    "tell the living from the dead: start it without a new pid namespace");
        return 0;
    }
    int pid = spork__os_getpid();
    uint64_t start = spork__os_start_time(pid);
    spork_status status;
    bool no_room = false;
    for (uint32_t n = 0; n < 2 * SPORK__TREE_SLOTS; n++) {
        uint32_t index = atomic_fetch_add_explicit(&here.shared->next, 1, memory_order_relaxed) % SPORK__TREE_SLOTS;
        status = spork__os_block_populate(&here.block, offset_of(index), sizeof(slot));
        if (status != SPORK_OK) no_room = true; /* others may be free whose memory is there */
        if (status != SPORK_OK || !take(index, pid, start, &id)) continue;
        here.self_pid = pid;
        atomic_store_explicit(here.self, id, memory_order_release);
        return id;
    }
    if (no_room)
        spork__fail(SPORK_NO_SPACE, "the table of processes has no memory for one more");
    else
        spork__fail(SPORK_NO_SPACE, "the table of processes is full: %d live at once is the most",
                    SPORK__TREE_SLOTS);
    return 0;
}

uint32_t spork__tree_self_known(void) { return known_self(); }

uint32_t spork__tree_self(void)
{
    uint32_t id = known_self();
    if (id != 0) return id;
    spork_native handle;
    if (spork__tree_open(&handle) != SPORK_OK) return 0;
    spork__os_lock(SPORK__LOCK_TREE);
    id = join();
    spork__os_unlock(SPORK__LOCK_TREE);
    return id;
}

void spork__tree_leave(void)
{
    if (here.self_pid != spork__os_getpid())
        return; /* never joined: most children; and the wiped page stays untouched */
    uint32_t id = known_self();
    if (id == 0) return;
    slot *s = &here.shared->slot[id & (SPORK__TREE_SLOTS - 1)];
    atomic_store_explicit(here.self, 0, memory_order_release);
    uint64_t who = atomic_load_explicit(&s->who, memory_order_relaxed);
    atomic_store_explicit(&s->who, who >> 32 << 32, memory_order_release);
}

bool spork__tree_alive(uint32_t id)
{
    uint32_t index = id & (SPORK__TREE_SLOTS - 1);
    if (id == 0 || here.shared == NULL) return false; /* names nobody: a damaged word */
    if (id == known_self()) return true;
    slot *s = &here.shared->slot[index];
    uint64_t who = atomic_load_explicit(&s->who, memory_order_acquire);
    return id_of(index, who) == id && slot_alive(s, who);
}

int spork__tree_pid(uint32_t id)
{
    uint32_t index = id & (SPORK__TREE_SLOTS - 1);
    if (id == 0 || here.shared == NULL) return 0;
    uint64_t who = atomic_load_explicit(&here.shared->slot[index].who, memory_order_acquire);
    return id_of(index, who) == id ? pid_of(who) : 0;
}
