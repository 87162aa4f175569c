#include "crew.h"

#include <string.h>

#include "../alloc.h"
#include "../error.h"
#include "../tree.h"
#include "../value.h"

enum { MAGIC = 0x57524353 /* "SCRW" */, LAYOUT = 1, GRAIN = 65536, PLACES = 5, TASKS_AT_ONCE = 128 };

/* What a process is told beside the handles. */
typedef struct description {
    uint64_t size;
    uint32_t handles, workers;
} description;

static spork__crew *of(spork__object *object) { return (spork__crew *)object; }

/* ---- where everything lies ---- */

typedef struct plan {
    size_t table, tasks, workers, fixed, pages, room; /* offsets; `fixed` is the end of what has memory from the start, but for the tasks */
} plan;

static size_t up(size_t size) { return (size + GRAIN - 1) / GRAIN * GRAIN; }

static plan plan_for(uint32_t workers)
{
    plan p;
    p.table = up(sizeof(spork__crew_words));
    p.workers = p.table + up(spork__arena_table_size());
    p.fixed = p.workers + up(workers * sizeof(spork__crew_worker));
    p.tasks = p.fixed;
    p.pages = p.tasks + up(SPORK__CREW_TASKS * sizeof(spork__crew_task));
    p.room = p.pages + up((size_t)SPORK__CREW_TASKS * 2 * SPORK__CREW_PAGE);
    return p;
}

static spork_status view(spork__crew *c, uint32_t workers, bool make)
{
    plan p = plan_for(workers);
    unsigned char *base = c->block.data;
    if (workers == 0 || workers > SPORK__CREW_WORKERS || c->block.size < p.room + GRAIN)
        return spork__fail(SPORK_BAD_MESSAGE, "a damaged pool");
    c->words = (spork__crew_words *)(void *)base;
    c->worker_count = workers;
    c->workers = (spork__crew_worker *)(void *)(base + p.workers);
    c->tasks = (spork__crew_task *)(void *)(base + p.tasks);
    c->pages = base + p.pages;
    c->arena = (spork__arena){.block = &c->block,
                              .table = (spork__arena_table *)(void *)(base + p.table),
                              .offset = p.room,
                              .size = (c->block.size - p.room) / SPORK__ARENA_UNIT * SPORK__ARENA_UNIT,
                              .berth = c->arena.berth};
    return spork__arena_open(&c->arena, make);
}

/* ---- handles ---- */

static void places_of(spork__crew *c, spork_native *places[PLACES])
{
    places[0] = &c->arena.berth;
    places[1] = &c->ready.berth;
    places[2] = &c->room.berth;
    places[3] = &c->events.chime.wait;
    places[4] = &c->events.chime.ring;
}

/* The owner's: who parks there shares the berth of those who wait for room, who are few and rare. */
static void share_berth(spork__crew *c) { c->events.berth = c->room.berth; }

static spork__crew *new_view(void)
{
    spork__crew *c = spork__alloc(sizeof *c, "a pool");
    spork_native *places[PLACES];
    if (c == NULL) return NULL;
    places_of(c, places);
    for (int i = 0; i < PLACES; i++) *places[i] = SPORK__NO_HANDLE;
    c->events.berth = c->block.handle = SPORK__NO_HANDLE;
    return c;
}

static void close_all(spork__crew *c, bool with_handles)
{
    spork_native *places[PLACES];
    places_of(c, places);
    if (with_handles)
        spork__places_close(places, PLACES);
    else
        c->block.handle = SPORK__NO_HANDLE;
    spork__os_block_free(&c->block);
}

/* ---- making ---- */

/* As large as may be: most of it are addresses only. */
static spork_status new_block(spork__crew *c, const plan *p)
{
    spork_status status = SPORK_NO_SPACE;
    for (size_t room = spork__os_block_spacious(); status != SPORK_OK && room >= (size_t)64 << 20; room /= 4)
        status = spork__os_block_new_growing(&c->block, p->room + room);
    return status == SPORK_OK ? spork__os_block_commit(&c->block, 0, p->fixed) : status;
}

static spork_status fill(spork__crew *c, uint32_t workers, bool threads)
{
    plan p = plan_for(workers);
    spork_status status = new_block(c, &p);
    if (status == SPORK_OK) status = spork__os_berth_new(&c->arena.berth);
    if (status == SPORK_OK) status = spork__os_berth_new(&c->ready.berth);
    if (status == SPORK_OK) status = spork__os_berth_new(&c->room.berth);
    if (status == SPORK_OK) status = spork__os_flag_new(&c->events.chime);
    if (status != SPORK_OK) return status;
    share_berth(c);
    c->threads = threads;
    if ((status = view(c, workers, true)) != SPORK_OK) return status;
    spork__crew_words *w = c->words;
    w->layout = LAYOUT;
    w->workers = workers;
    w->size = c->block.size;
    w->owner = spork__tree_self();
    w->magic = MAGIC;
    return SPORK_OK;
}

spork__crew *spork__crew_new(uint32_t workers, bool threads)
{
    spork__kind_add(&spork__crew_kind);
    if (spork__tree_self() == 0) return NULL;
    spork__crew *c = new_view();
    if (c == NULL) return NULL;
    spork__os_lock(SPORK__LOCK_START);
    spork_status status = fill(c, workers, threads);
    if (status == SPORK_OK)
        spork__object_track(&c->object, &spork__crew_kind);
    else
        close_all(c, true);
    spork__os_unlock(SPORK__LOCK_START);
    if (status == SPORK_OK) return c;
    spork__free(c);
    return NULL;
}

void spork__crew_free(spork__crew *c)
{
    if (c == NULL) return;
    spork__os_lock(SPORK__LOCK_START);
    spork__object_untrack(&c->object);
    if (!c->object.not_shared) close_all(c, true);
    spork__os_unlock(SPORK__LOCK_START);
    spork__free(c);
}

spork_status spork__crew_commit_tasks(spork__crew *c, uint32_t count)
{
    size_t at = (size_t)((unsigned char *)c->tasks - (unsigned char *)c->block.data);
    return spork__os_block_commit(&c->block, at + (count - TASKS_AT_ONCE) * sizeof(spork__crew_task),
                                  TASKS_AT_ONCE * sizeof(spork__crew_task));
}

/* ---- giving and taking ---- */

static spork_status give(spork__object *object, unsigned flags, spork__parcel *parcel)
{
    spork_native *places[PLACES];
    spork__crew *c = of(object);
    description about = {.size = c->block.size, .workers = c->worker_count};
    (void)flags;
    places_of(c, places);
    parcel->handles[0] = c->block.handle;
    parcel->handle_count = 1;
    spork__parcel_put(parcel, places, PLACES, &about.handles);
    memcpy(parcel->bytes, &about, sizeof about);
    parcel->size = sizeof about;
    return SPORK_OK;
}

static spork_status adopt(spork__crew *c, const spork__parcel *parcel)
{
    description about;
    spork_native *places[PLACES];
    memset(&about, 0, sizeof about);
    if (parcel->size == sizeof about) memcpy(&about, parcel->bytes, sizeof about);
    places_of(c, places);
    if (parcel->handle_count == 0 || about.size == 0 || about.size > SIZE_MAX ||
        !spork__parcel_get(parcel, 1, places, PLACES, about.handles))
        return spork__fail(SPORK_BAD_MESSAGE, "a damaged pool");
    share_berth(c);
    spork_status status = spork__os_block_open(&c->block, parcel->handles[0], (size_t)about.size);
    if (status != SPORK_OK) return status;
    const spork__crew_words *w = c->block.data;
    if (w->magic != MAGIC || w->layout != LAYOUT || w->workers != about.workers)
        return spork__fail(SPORK_BAD_MESSAGE, "a pool of another version of Spork, or a damaged one");
    return view(c, about.workers, false);
}

static spork_status take(const spork__kind *kind, const spork__parcel *parcel, spork__object **object)
{
    spork__crew *c = new_view();
    if (c == NULL) return SPORK_NO_MEMORY;
    spork_status status = adopt(c, parcel);
    if (status != SPORK_OK) {
        close_all(c, false); /* the handles are still the caller's */
        spork__free(c);
        return status;
    }
    spork__object_track(&c->object, kind);
    *object = &c->object;
    return SPORK_OK;
}

static void abandon(spork__object *object, bool close)
{
    spork_native *places[PLACES];
    places_of(of(object), places);
    if (close) spork__places_close(places, PLACES);
    spork__os_block_abandon(&of(object)->block, close);
}

static void release(spork__object *object) { spork__crew_free(of(object)); }

const spork__kind spork__crew_kind = {SPORK__KIND_CREW, "pool",  give, NULL, take,
                                      abandon,          release, NULL};

/* ---- rooms ---- */

static void *page(const spork__crew *c, uint32_t index, int which)
{
    return c->pages + ((size_t)index * 2 + (size_t)which) * SPORK__CREW_PAGE;
}

/* Each process asks for itself: what another says could be wrong, and the price a crash. */
static spork_status commit_page(spork__crew *c, uint32_t index)
{
    uint32_t group = index / SPORK__CREW_PAGES_AT_ONCE;
    _Atomic uint64_t *word = &c->ready_pages[group / 64];
    uint64_t bit = UINT64_C(1) << group % 64;
    if (atomic_load_explicit(word, memory_order_relaxed) & bit) return SPORK_OK;
    size_t size = (size_t)SPORK__CREW_PAGES_AT_ONCE * 2 * SPORK__CREW_PAGE;
    size_t at = (size_t)(c->pages - (unsigned char *)c->block.data) + group * size;
    spork_status status = spork__os_block_commit(&c->block, at, size);
    if (status == SPORK_OK) atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
    return status;
}

spork_status spork__crew_room(spork__crew *c, uint32_t index, int which, uint64_t size, spork__crew_place *place,
                              void **room)
{
    size_t have;
    *place = (spork__crew_place){size, SPORK__IN_TASK, SPORK__ARENA_NONE};
    if (size <= SPORK__CREW_INLINE) {
        *room = c->tasks[index].room[which];
        return SPORK_OK;
    }
    if (size <= SPORK__CREW_PAGE) {
        place->where = SPORK__ON_PAGE;
        *room = page(c, index, which);
        return commit_page(c, index);
    }
    place->where = SPORK__IN_EXTENT;
    if (size > SIZE_MAX) return spork__fail(SPORK_TOO_LARGE, "%llu bytes", (unsigned long long)size);
    spork_status status = spork__arena_take(&c->arena, (size_t)size, &place->extent);
    if (status != SPORK_OK) return status;
    *room = spork__arena_data(&c->arena, place->extent, &have);
    return *room != NULL ? SPORK_OK : spork_last_status();
}

void *spork__crew_at(spork__crew *c, uint32_t index, int which, const spork__crew_place *place)
{
    size_t have = 0;
    void *at = NULL;
    switch (place->where) {
    case SPORK__IN_TASK:
        at = c->tasks[index].room[which];
        have = SPORK__CREW_INLINE;
        break;
    case SPORK__ON_PAGE:
        at = commit_page(c, index) == SPORK_OK ? page(c, index, which) : NULL;
        have = SPORK__CREW_PAGE;
        break;
    case SPORK__IN_EXTENT: at = spork__arena_data(&c->arena, place->extent, &have); break;
    default: break;
    }
    if (at != NULL && place->size <= have) return at;
    spork__fail(SPORK_BAD_MESSAGE, "the pool's shared memory is damaged");
    return NULL;
}

void *spork__crew_offset(const spork__crew *c, uint64_t offset, uint64_t size)
{
    if (offset > c->block.size || size > c->block.size - offset) return NULL;
    return (unsigned char *)c->block.data + offset;
}

/* ---- references ---- */

void spork__crew_refer(spork__crew_pack *p, unsigned i, uint32_t extent, uint64_t offset)
{
    if (p->values != &p->args) p->args = *p->values;
    p->values = &p->args;
    spork_item *item = &p->args.items[i];
    p->reference[i] = (spork__crew_reference){extent, item->kind, offset, item->unit, item->count};
    *item = spork_struct(&p->reference[i]);
    p->references |= UINT32_C(1) << i;
}

spork_status spork__crew_pack_up(const spork__crew *c, const spork_args *args, spork__crew_pack *p)
{
    unsigned object = spork__objects_first(args);
    if (object != 0)
        return spork__fail(SPORK_UNSUPPORTED,
                           "value %u is an object, which a task cannot carry: give it to the workers by the "
                           "initializer's arguments",
                           object);
    p->values = args;
    p->references = 0;
    for (unsigned i = 0; i < args->count && i < SPORK_MAX_VALUES && c->threads; i++)
        if (args->items[i].kind == SPORK__KIND_POINTER)
            spork__crew_refer(p, i, SPORK__ARENA_NONE, (uintptr_t)args->items[i].as.p);
    return SPORK_OK;
}

static spork_status resolve(spork__crew *c, spork_item *item)
{
    size_t have;
    spork__crew_reference r;
    if (item->kind != SPORK__KIND_STRUCT || item->unit != sizeof r)
        return spork__fail(SPORK_BAD_MESSAGE, "the values of a task are damaged");
    memcpy(&r, item->as.p, sizeof r);
    if (r.kind == SPORK__KIND_POINTER && c->threads) {
        *item = spork__item(SPORK__KIND_POINTER, (void *)(uintptr_t)r.offset, 0, 1);
        return SPORK_OK;
    }
    unsigned char *data = spork__arena_data(&c->arena, r.extent, &have);
    bool fits = data != NULL && r.offset <= have && r.unit > 0 && r.unit <= UINT32_MAX &&
                r.count <= (have - r.offset) / r.unit && (r.kind == SPORK__KIND_BYTES || r.kind == SPORK__KIND_ARRAY);
    if (!fits) return spork__fail(SPORK_BAD_MESSAGE, "the values of a task are damaged");
    *item = spork__item((int)r.kind, data + r.offset, (size_t)r.unit, r.count);
    return SPORK_OK;
}

spork_status spork__crew_decode(spork__crew *c, const void *bytes, size_t size, uint32_t references, spork_args *args)
{
    spork_status status = spork__values_decode(bytes, size, args);
    for (unsigned i = 0; status == SPORK_OK && i < args->count; i++)
        if (references >> i & 1) status = resolve(c, &args->items[i]);
    return status;
}
