#include "object.h"

#include <string.h>

#include "alloc.h"
#include "error.h"
#include "log.h"
#include "platform.h"

static struct {
    spork__object *first;
    const spork__kind *kinds[64];
    size_t kind_count;
    uint32_t last_number;
} objects; /* under SPORK__LOCK_OBJECTS */

void spork__object_track(spork__object *object, const spork__kind *kind)
{
    object->kind = kind;
    spork__os_lock(SPORK__LOCK_OBJECTS);
    object->number = ++objects.last_number;
    object->previous = NULL;
    object->next = objects.first;
    if (objects.first != NULL) objects.first->previous = object;
    objects.first = object;
    spork__os_unlock(SPORK__LOCK_OBJECTS);
}

void spork__object_free(spork__object *object)
{
    object->was = object->kind->name;
    object->kind = NULL;
    spork__free_late(object);
}

bool spork__object_freeable(const spork__object *object, const spork__kind *kind, const char *call)
{
    if (object == NULL) return false;
    if (object->kind == kind) return true;
    if (object->kind == NULL)
        spork__log(SPORK_LOG_ERROR, "%s: this %s was freed before", call, object->was);
    else
        spork__log(SPORK_LOG_ERROR, "%s: what was given is no %s but of kind %s; nothing is freed", call, kind->name,
                   object->kind->name);
    return false;
}

void spork__object_untrack(spork__object *object)
{
    spork__os_lock(SPORK__LOCK_OBJECTS);
    if (object->next != NULL) object->next->previous = object->previous;
    if (object->previous != NULL)
        object->previous->next = object->next;
    else
        objects.first = object->next;
    spork__os_unlock(SPORK__LOCK_OBJECTS);
}

spork_status spork__object_refuse(const spork__object *object, const spork__kind *kind, const char *call)
{
    if (object == NULL) return SPORK_INVALID; /* the sentence of the constructor that failed says more */
    if (object->kind == NULL)
        return spork__fail(SPORK_INVALID, "%s: this %s was freed; nothing can be done with it any more", call,
                           object->was);
    if (object->kind != kind)
        return spork__fail(SPORK_INVALID, "%s: what was given is no %s but of kind %s", call, kind->name,
                           object->kind->name);
    if (object->not_shared)
        return spork__fail(SPORK_NOT_SHARED,
                           "%s: this process was not given that %s; pass it as an argument of the process", call,
                           kind->name);
    return SPORK_OK;
}

void spork__object_each(void (*fn)(spork__object *object, void *user), void *user, bool alone)
{
    if (!alone) spork__os_lock(SPORK__LOCK_OBJECTS);
    for (spork__object *o = objects.first; o != NULL; o = o->next) fn(o, user);
    if (!alone) spork__os_unlock(SPORK__LOCK_OBJECTS);
}

static void hang_up(spork__object *object, void *unused)
{
    (void)unused;
    if (object->kind->hang_up != NULL && !object->not_shared) object->kind->hang_up(object);
}

void spork__objects_hang_up(void)
{
    spork__os_lock(SPORK__LOCK_START); /* descriptors come and go; a fork in another thread waits */
    spork__object_each(hang_up, NULL, false);
    spork__os_unlock(SPORK__LOCK_START);
}

enum { THERE = 1, SAME = 2 }; /* two bits for each place */

void spork__parcel_put(spork__parcel *parcel, spork__places places, int count, uint32_t *which)
{
    *which = 0;
    for (int i = 0; i < count; i++) {
        if (*places[i] == SPORK__NO_HANDLE) continue;
        bool same = i > 0 && *places[i] == *places[i - 1];
        *which |= (uint32_t)(same ? SAME : THERE) << 2 * i;
        if (!same) parcel->handles[parcel->handle_count++] = *places[i];
    }
}

bool spork__parcel_get(const spork__parcel *parcel, size_t used, spork__places places, int count, uint32_t which)
{
    for (int i = 0; i < count; i++) {
        uint32_t what = which >> 2 * i & 3;
        *places[i] = SPORK__NO_HANDLE;
        if (what == SAME && i > 0) *places[i] = *places[i - 1];
        if (what == THERE) {
            if (used >= parcel->handle_count) return false;
            *places[i] = parcel->handles[used++];
        }
    }
    return used == parcel->handle_count && (count == 16 || which >> 2 * count == 0);
}

void spork__places_close(spork__places places, int count)
{
    for (int i = 0; i < count; i++)
        if (*places[i] != SPORK__NO_HANDLE && (i == 0 || *places[i] != *places[i - 1]))
            spork__os_handle_close(*places[i]);
}

bool spork__object_any(const spork__kind *kind, bool (*is)(const spork__object *object, const void *user),
                       const void *user)
{
    bool any = false;
    spork__os_lock(SPORK__LOCK_OBJECTS);
    for (const spork__object *o = objects.first; o != NULL && !any; o = o->next) any = o->kind == kind && is(o, user);
    spork__os_unlock(SPORK__LOCK_OBJECTS);
    return any;
}

void spork__kind_add(const spork__kind *kind)
{
    spork__os_lock(SPORK__LOCK_OBJECTS);
    bool known = false;
    for (size_t i = 0; i < objects.kind_count; i++) known = known || objects.kinds[i] == kind;
    if (!known && objects.kind_count < sizeof objects.kinds / sizeof *objects.kinds)
        objects.kinds[objects.kind_count++] = kind;
    spork__os_unlock(SPORK__LOCK_OBJECTS);
}

const spork__kind *spork__kind_find(uint16_t kind)
{
    const spork__kind *found = NULL;
    spork__os_lock(SPORK__LOCK_OBJECTS);
    for (size_t i = 0; i < objects.kind_count; i++)
        if (objects.kinds[i]->kind == kind) found = objects.kinds[i];
    spork__os_unlock(SPORK__LOCK_OBJECTS);
    return found;
}

static spork__object *object_of(const spork_item *item) { return (spork__object *)(uintptr_t)item->as.p; }
static bool is_object(const spork_item *item) { return item->kind >= SPORK__KIND_OBJECT; }

unsigned spork__objects_first(const spork_args *args)
{
    for (unsigned i = 0; i < args->count && i < SPORK_MAX_VALUES; i++)
        if (is_object(&args->items[i])) return i + 1;
    return 0;
}

size_t spork__objects_wanted(const spork_args *args)
{
    size_t count = 0;
    for (unsigned i = 0; i < args->count; i++)
        if (is_object(&args->items[i])) count += args->items[i].unit;
    return count;
}

spork_status spork__objects_check(const spork_item *item, unsigned number)
{
    const spork__kind *kind = spork__kind_find(item->kind);
    if (kind == NULL)
        return spork__fail(SPORK_INVALID, "argument %u is of kind %u, which this library does not know", number,
                           item->kind);
    if (object_of(item) == NULL) return spork__fail(SPORK_INVALID, "argument %u is a NULL %s", number, kind->name);
    spork_status status = spork__object_check(object_of(item), kind, "packing");
    if (status != SPORK_OK) return spork__fail_in(status, "argument %u (%s) cannot be passed", number, kind->name);
    if (item->flags & SPORK__FLAG_MOVE && object_of(item)->received)
        return spork__fail(SPORK_INVALID,
                           "argument %u (%s) cannot be moved: it belongs to what it came in; spork_keep makes it yours",
                           number, kind->name);
    return SPORK_OK;
}

spork_status spork__objects_check_moved(const spork_args *args)
{
    for (unsigned i = 0; i < args->count; i++) {
        if (!is_object(&args->items[i]) || !(args->items[i].flags & SPORK__FLAG_MOVE)) continue;
        for (unsigned k = 0; k < args->count; k++)
            if (k != i && is_object(&args->items[k]) && object_of(&args->items[k]) == object_of(&args->items[i]))
                return spork__fail(SPORK_INVALID, "argument %u is moved, and is argument %u too", i + 1, k + 1);
    }
    return SPORK_OK;
}

static spork_status give(const spork_item *item, unsigned number, spork__parcel *parcel)
{
    spork_status status = spork__objects_check(item, number);
    if (status != SPORK_OK) return status;
    const spork__kind *kind = object_of(item)->kind;
    status = kind->give(object_of(item), item->flags, parcel);
    return status == SPORK_OK ? SPORK_OK
                              : spork__fail_in(status, "argument %u (%s) cannot be passed", number, kind->name);
}

spork_status spork__objects_give(const spork_args *args, spork__parcels *parcels, size_t *handle_count)
{
    size_t count = 0;
    spork_status moved = spork__objects_check_moved(args);
    if (moved != SPORK_OK) return moved;
    for (unsigned i = 0; i < args->count; i++) {
        spork__parcel *parcel = &parcels->parcel[i];
        parcel->handle_count = parcel->size = 0;
        parcel->sent_off = SPORK__NO_HANDLE;
        if (!is_object(&args->items[i])) continue;
        spork_status status = give(&args->items[i], i + 1, parcel);
        if (status != SPORK_OK) return status;
        count += parcel->handle_count;
    }
    *handle_count = count;
    return SPORK_OK;
}

void spork__objects_send_off(const spork_args *args, spork__parcels *parcels)
{
    for (unsigned i = 0; i < args->count; i++) {
        spork__object *object = is_object(&args->items[i]) ? object_of(&args->items[i]) : NULL;
        if (object != NULL && object->kind->send_off != NULL)
            object->kind->send_off(object, &parcels->parcel[i]);
    }
}

void spork__objects_sent(const spork_args *args, const spork__parcels *parcels, bool sent)
{
    for (unsigned i = 0; i < args->count; i++) {
        spork_native handle =
            is_object(&args->items[i]) ? parcels->parcel[i].sent_off : SPORK__NO_HANDLE;
        if (handle == SPORK__NO_HANDLE) continue;
        if (!sent)
            spork__os_transit_end(handle); /* a child of another thread's may have a copy of it */
        spork__os_handle_close(handle);
    }
}

void spork__objects_handles(const spork_args *args, const spork__parcels *parcels, spork_native *handles)
{
    for (unsigned i = 0; i < args->count; i++)
        for (size_t k = 0; k < parcels->parcel[i].handle_count; k++) *handles++ = parcels->parcel[i].handles[k];
}

static bool is_in(int64_t handle, const int64_t *handles, size_t count)
{
    while (count > 0)
        if (handles[--count] == handle) return true;
    return false;
}

/* What an object takes is its own. Where handles come by inheritance, an object that was passed
 * twice comes twice with the same ones: the second gets copies, lest both close them, and the second
 * close what has the number by then. */
static spork_status own_handles(const int64_t *before, size_t before_count, size_t count,
                                int64_t *own)
{
    spork_status status = SPORK_OK;
    for (size_t k = 0; k < count; k++) {
        spork_native copy = SPORK__NO_HANDLE;
        own[k] = before[before_count + k];
        if (!is_in(own[k], before, before_count)) continue;
        if (status == SPORK_OK) status = spork__os_handle_copy((spork_native)own[k], &copy);
        own[k] = copy;
    }
    return status;
}

/* Where nobody takes them. The others are still whose they were. */
static void close_copies(const int64_t *before, size_t before_count, size_t count,
                         const int64_t *own)
{
    for (size_t k = 0; k < count; k++)
        if (is_in(before[before_count + k], before, before_count) && own[k] != SPORK__NO_HANDLE)
            spork__os_handle_close((spork_native)own[k]);
}

void spork__object_own(spork_item *item, bool own)
{
    object_of(item)->received = own;
    item->unit = own ? object_of(item)->number : 0;
}

/* Turns the payload in `item` into an object. */
static spork_status take(spork_item *item, const int64_t *handles)
{
    spork__parcel parcel;
    const spork__kind *kind = spork__kind_find(item->kind);
    if (kind == NULL)
        return spork__fail(SPORK_BAD_MESSAGE, "an object of kind %u came, which this library does not know",
                           item->kind);
    if (item->count > SPORK__PARCEL_BYTES || item->unit > SPORK__PARCEL_HANDLES)
        return spork__fail(SPORK_BAD_MESSAGE, "a damaged %s came: it is too large", kind->name);
    parcel.size = (size_t)item->count;
    parcel.handle_count = item->unit;
    if (parcel.size > 0) memcpy(parcel.bytes, item->as.p, parcel.size);
    for (size_t i = 0; i < parcel.handle_count; i++) parcel.handles[i] = (spork_native)handles[i];
    spork__object *object = NULL;
    spork_status status = kind->take(kind, &parcel, &object);
    if (status != SPORK_OK) return status;
    item->as.p = object;
    item->count = 1;
    spork__object_own(item, true);
    return SPORK_OK;
}

spork_status spork__objects_take(spork_args *args, const int64_t *handles, size_t handle_count)
{
    spork_status status = SPORK_OK;
    size_t used = 0;
    unsigned done = 0;
    for (; done < args->count && status == SPORK_OK; done++) {
        spork_item *item = &args->items[done];
        if (!is_object(item)) continue;
        size_t wants = item->unit;
        int64_t own[SPORK__PARCEL_HANDLES];
        if (wants > handle_count - used || wants > SPORK__PARCEL_HANDLES)
            status = spork__fail(SPORK_BAD_MESSAGE, "argument %u is an object whose handles did not come", done + 1);
        else if ((status = own_handles(handles, used, wants, own)) == SPORK_OK &&
                 (status = take(item, own)) == SPORK_OK)
            used += wants;
        else
            close_copies(handles, used, wants, own);
    }
    if (status == SPORK_OK) return SPORK_OK;
    for (size_t i = used; i < handle_count; i++)
        if (!is_in(handles[i], handles, i)) spork__os_handle_close((spork_native)handles[i]);
    args->count = done - 1; /* those before the one that failed are objects, and own their handles */
    spork__objects_release(args);
    args->count = 0;
    return status;
}

static bool is_among(const spork__object *object, const spork_args *args)
{
    for (unsigned i = 0; i < args->count; i++)
        if (is_object(&args->items[i]) && object_of(&args->items[i]) == object) return true;
    return false;
}

spork_status spork__objects_after_fork(spork_args *args, const spork__parcels *parcels)
{
    for (spork__object *o = objects.first; o != NULL; o = o->next) { /* alone in the child: no lock needed */
        if (o->not_shared) continue;
        o->kind->abandon(o, !is_among(o, args));
        o->not_shared = true;
    }
    spork_status status = SPORK_OK;
    int64_t handles[SPORK_MAX_VALUES * SPORK__PARCEL_HANDLES], own[SPORK__PARCEL_HANDLES];
    size_t used = 0;
    for (unsigned i = 0; i < args->count && status == SPORK_OK; i++) {
        spork_item *item = &args->items[i];
        if (!is_object(item)) continue;
        const spork__parcel *parcel = &parcels->parcel[i];
        for (size_t k = 0; k < parcel->handle_count; k++) handles[used + k] = parcel->handles[k];
        item->as.p = parcel->bytes;
        item->count = parcel->size;
        item->unit = (uint32_t)parcel->handle_count;
        status = own_handles(handles, used, parcel->handle_count, own);
        if (status == SPORK_OK) status = take(item, own);
        used += parcel->handle_count;
    }
    return status;
}

/* Who kept it may have freed or moved it since, and another object may lie where it was: nothing is
 * read of what is not in the list. */
static bool still_belongs(const spork_item *item)
{
    const spork__object *found;
    spork__os_lock(SPORK__LOCK_OBJECTS);
    for (found = objects.first; found != NULL && found != object_of(item);) found = found->next;
    bool belongs = found != NULL && found->number == item->unit && found->received;
    spork__os_unlock(SPORK__LOCK_OBJECTS);
    return belongs;
}

void spork__object_drop(spork_item *item)
{
    if (still_belongs(item)) object_of(item)->kind->release(object_of(item));
    item->as.p = NULL;
}

void spork__objects_release(spork_args *args)
{
    for (unsigned i = 0; i < args->count; i++)
        if (is_object(&args->items[i])) spork__object_drop(&args->items[i]);
}

void spork__objects_moved(const spork_args *args)
{
    for (unsigned i = 0; i < args->count; i++) {
        const spork_item *item = &args->items[i];
        if (is_object(item) && (item->flags & SPORK__FLAG_MOVE)) object_of(item)->kind->release(object_of(item));
    }
}

spork_status spork__keep(spork_item item)
{
    if (!is_object(&item)) return spork__fail(SPORK_INVALID, "spork_keep: only Spork's objects can be kept");
    spork__object *object = object_of(&item);
    if (object == NULL) return SPORK_INVALID;
    if (!object->received)
        return spork__fail(SPORK_INVALID,
                           "spork_keep: this %s is yours already: it was not unpacked, or was kept before",
                           object->kind->name);
    object->received = false;
    return SPORK_OK;
}
