#include "sync.h"

#include <string.h>

#include "alloc.h"
#include "error.h"
#include "log.h"

enum { LAYOUT = 1, PLACES = 4 };

/* What a process is told beside the handles. */
typedef struct description {
    uint64_t size;
    uint32_t handles; /* which of them travel */
    uint32_t unused;
} description;

static spork__sync *of(spork__object *object) { return (spork__sync *)object; }
static const spork__sync_kind *kind_of(const spork__kind *kind) { return (const spork__sync_kind *)kind; }

static void places_of(spork__sync *s, spork_native *places[PLACES])
{
    places[0] = &s->berth;
    places[1] = &s->ear.berth;
    places[2] = &s->ear.chime.wait;
    places[3] = &s->ear.chime.ring;
}

static spork__sync *new_view(const spork__sync_kind *kind)
{
    spork__sync *s = spork__alloc(sizeof *s, kind->kind.name);
    spork_native *places[PLACES];
    if (s == NULL) return NULL;
    places_of(s, places);
    for (int i = 0; i < PLACES; i++) *places[i] = SPORK__NO_HANDLE;
    s->block.handle = SPORK__NO_HANDLE;
    return s;
}

/* Under SPORK__LOCK_START, as everything that opens or closes. */
static void close_all(spork__sync *s, bool with_handles)
{
    spork_native *places[PLACES];
    places_of(s, places);
    if (with_handles)
        spork__places_close(places, PLACES);
    else
        s->block.handle = SPORK__NO_HANDLE;
    spork__os_block_free(&s->block);
}

static spork_status fill(spork__sync *s, const spork__sync_kind *kind, size_t size, size_t ready)
{
    spork_status status =
        ready == size ? spork__os_block_new(&s->block, size) : spork__os_block_new_growing(&s->block, size);
    if (status == SPORK_OK && ready < size) status = spork__os_block_commit(&s->block, 0, ready);
    if (status == SPORK_OK) status = spork__os_berth_new(&s->berth);
    if (status == SPORK_OK && kind->has_bell) status = spork__os_berth_new(&s->ear.berth);
    if (status == SPORK_OK && kind->has_chime) status = spork__os_chime_new(&s->ear.chime);
    if (status != SPORK_OK) return status;
    spork__sync_words *words = spork__sync_words_of(s);
    words->layout = LAYOUT;
    words->nonce = spork__os_nonce();
    words->magic = kind->magic;
    return SPORK_OK;
}

spork__sync *spork__sync_new(const spork__sync_kind *kind, size_t size, size_t ready, const char *call)
{
    spork__sync_kinds_add();
    spork__sync *s = new_view(kind);
    if (s == NULL) return NULL;
    spork__os_lock(SPORK__LOCK_START);
    spork_status status = fill(s, kind, size, ready);
    if (status == SPORK_OK)
        spork__object_track(&s->object, &kind->kind);
    else
        close_all(s, true);
    spork__os_unlock(SPORK__LOCK_START);
    if (status == SPORK_OK) return s;
    spork__free(s);
    spork__fail_in(status, "%s", call);
    return NULL;
}

spork_status spork__sync_give(spork__object *object, unsigned flags, spork__parcel *parcel)
{
    spork_native *places[PLACES];
    spork__sync *s = of(object);
    description about = {.size = s->block.size};
    (void)flags;
    places_of(s, places);
    parcel->handles[0] = s->block.handle;
    parcel->handle_count = 1;
    spork__parcel_put(parcel, places, PLACES, &about.handles);
    memcpy(parcel->bytes, &about, sizeof about);
    parcel->size = sizeof about;
    return SPORK_OK;
}

static spork_status adopt(spork__sync *s, const spork__sync_kind *kind, const spork__parcel *parcel)
{
    description about;
    spork_native *places[PLACES];
    memset(&about, 0, sizeof about);
    if (parcel->size == sizeof about) memcpy(&about, parcel->bytes, sizeof about);
    places_of(s, places);
    if (parcel->handle_count == 0 || about.size < kind->words_size || about.size > SIZE_MAX ||
        !spork__parcel_get(parcel, 1, places, PLACES, about.handles))
        return spork__fail(SPORK_BAD_MESSAGE, "a damaged %s", kind->kind.name);
    spork_status status = spork__os_block_open(&s->block, parcel->handles[0], (size_t)about.size);
    if (status != SPORK_OK) return status;
    const spork__sync_words *words = spork__sync_words_of(s);
    if (words->magic != kind->magic || words->layout != LAYOUT)
        return spork__fail(SPORK_BAD_MESSAGE, "of another version of Spork, or damaged: a %s", kind->kind.name);
    return kind->joined != NULL ? kind->joined(s) : SPORK_OK;
}

spork_status spork__sync_take(const spork__kind *kind, const spork__parcel *parcel, spork__object **object)
{
    spork__sync *s = new_view(kind_of(kind));
    if (s == NULL) return SPORK_NO_MEMORY;
    spork_status status = adopt(s, kind_of(kind), parcel);
    if (status != SPORK_OK) {
        close_all(s, false); /* the handles are still the caller's */
        spork__free(s);
        return status;
    }
    spork__object_track(&s->object, kind);
    *object = &s->object;
    return SPORK_OK;
}

void spork__sync_abandon(spork__object *object, bool close)
{
    spork__sync *s = of(object);
    spork_native *places[PLACES];
    places_of(s, places);
    if (close) spork__places_close(places, PLACES);
    spork__os_block_abandon(&s->block, close);
}

void spork__sync_free(spork__sync *s, const spork__sync_kind *kind, const char *call)
{
    if (!spork__object_freeable(s == NULL ? NULL : &s->object, &kind->kind, call)) return;
    if (!s->object.not_shared && kind->leave != NULL) kind->leave(s);
    spork__os_lock(SPORK__LOCK_START);
    spork__object_untrack(&s->object);
    if (!s->object.not_shared) close_all(s, true);
    spork__os_unlock(SPORK__LOCK_START);
    spork__object_free(&s->object);
}

void spork__sync_release(spork__object *object)
{
    const spork__sync_kind *kind = kind_of(object->kind);
    spork__sync_free(of(object), kind, kind->kind.name);
}

static bool is_another(const spork__object *object, const void *user)
{
    const spork__sync *s = (const spork__sync *)object, *than = user;
    return s != than && !object->not_shared && spork__sync_words_of(s)->nonce == spork__sync_words_of(than)->nonce;
}

bool spork__sync_is_last(const spork__sync *s) { return !spork__object_any(s->object.kind, is_another, s); }

spork_status spork__lock_options_read(const spork_lock_options *options, size_t size, bool *hands_on, const char *call)
{
    spork_lock_options o;
    memset(&o, 0, sizeof o);
    if (options != NULL) memcpy(&o, options, size < sizeof o ? size : sizeof o);
    for (size_t i = sizeof o; options != NULL && i < size; i++)
        if (((const unsigned char *)options)[i] != 0)
            return spork__fail(SPORK_UNSUPPORTED, "%s: an option that this version of the library does not know", call);
    *hands_on = o.on_owner_death == SPORK_HAND_ON;
    if (*hands_on || o.on_owner_death == SPORK_TELL) return SPORK_OK;
    return spork__fail(SPORK_INVALID, "%s: .on_owner_death is %d, which is neither SPORK_TELL nor SPORK_HAND_ON", call,
                       (int)o.on_owner_death);
}

/* ---- threads that end ---- */

static void desert_if_held(spork__object *object, void *user)
{
    uint64_t self = *(const uint64_t *)user;
    if (object->kind->take != spork__sync_take || !kind_of(object->kind)->has_lock || object->not_shared) return;
    spork__mutex *m = spork__sync_mutex(of(object));
    if (atomic_load_explicit(&m->holder, memory_order_relaxed) != self) return;
    spork__log(SPORK_LOG_ERROR, "a thread of this process ended holding a %s, which it should have released: %s",
               object->kind->name,
               m->hands_on ? "it is handed on" : "it now answers SPORK_OWNER_DIED until it is recovered");
    spork__mutex_desert(m, of(object)->berth);
}

static void thread_ended(uint32_t number)
{
    uint64_t self = (uint64_t)spork__tree_self_known() << 32 | number;
    if (self >> 32 != 0) spork__object_each(desert_if_held, &self, false);
}

void spork__sync_kinds_add(void)
{
    static const spork__sync_kind *const all[] = {&spork__lock_kind,  &spork__rlock_kind,     &spork__semaphore_kind,
                                                  &spork__event_kind, &spork__condition_kind, &spork__barrier_kind};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) spork__kind_add(&all[i]->kind);
    spork__at_thread_end(thread_ended);
}
