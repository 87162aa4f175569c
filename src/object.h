/* Objects that can travel to another process: connections, queues, locks … A kind says how one of its objects becomes
 * handles and bytes, and how handles and bytes become an object again; everything else (which start method carries the
 * handles, what a forked child must close, what `spork_move` does) happens once, here and in process.c.
 *
 * Under fork a child finds all its parent's objects. Those that were passed are made anew from their parcel, exactly as
 * under spawn; all others are abandoned: their handles closed, their use SPORK_NOT_SHARED. */
#ifndef SPORK_OBJECT_H
#define SPORK_OBJECT_H

#include <spork/process.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SPORK__PARCEL_HANDLES = 8, SPORK__PARCEL_BYTES = 128 };

/* One object on its way. */
typedef struct spork__parcel {
    size_t handle_count, size;
    spork_native handles[SPORK__PARCEL_HANDLES];
    spork_native
        sent_off; /* one of them, made for the way; SPORK__NO_HANDLE: all are the object's */
    unsigned char bytes[SPORK__PARCEL_BYTES];
} spork__parcel;

/* The parcels of a pack: parcel[i] belongs to item i. */
typedef struct spork__parcels {
    spork__parcel parcel[SPORK_MAX_VALUES];
} spork__parcels;

typedef struct spork__object spork__object;

typedef struct spork__kind {
    uint16_t kind;
    const char *name; /* "queue" */
    /* Describes the object. The handles stay the object's; who sends them makes the copies. `flags`: the item's. */
    spork_status (*give)(spork__object *object, unsigned flags, spork__parcel *parcel);
    /* For a message, which may arrive late, or never; NULL: no matter. What the object does on its
     * way, a handle in place of one of the parcel's may tell the others. */
    void (*send_off)(spork__object *object, spork__parcel *parcel);
    /* Makes an object of that kind that owns the parcel's handles. On failure the handles are still the caller's. */
    spork_status (*take)(const struct spork__kind *kind, const spork__parcel *parcel, spork__object **object);
    /* In a forked child: forget the handles, after closing them if `close`. Async-signal-safe. */
    void (*abandon)(spork__object *object, bool close);
    /* Frees an object for good: `free` of the public API. */
    void (*release)(spork__object *object);
    /* This process ends: what the others would wait for, as its role or its end of a pipe, is given
     * up. NULL: nothing of the kind. Under SPORK__LOCK_OBJECTS; other threads may be in a call. */
    void (*hang_up)(spork__object *object);
} spork__kind;

/* The first member of every such object. */
struct spork__object {
    const spork__kind *kind; /* NULL: freed; then it has been a */
    const char *was;
    bool not_shared; /* abandoned: the public functions answer SPORK_NOT_SHARED */
    bool received;   /* belongs to received args, unless kept */
    uint32_t number; /* of the objects that this process has had: no two are alike for long */
    spork__object *next, *previous;
};

/* Every object, from its making to its release. */
void spork__object_track(spork__object *object, const spork__kind *kind);
void spork__object_untrack(spork__object *object);
/* Frees its memory; who still has the pointer is told so for a while. */
void spork__object_free(spork__object *object);
/* Whether it can be freed. NULL cannot, which is fine; one that was freed, or is of another kind, is told in the log. */
bool spork__object_freeable(const spork__object *object, const spork__kind *kind, const char *call);
/* What is wrong with an object that fails the check. */
spork_status spork__object_refuse(const spork__object *object, const spork__kind *kind, const char *call);
/* SPORK_OK; SPORK_INVALID (NULL: keeps the sentence; another kind); SPORK_NOT_SHARED. `call` is the public name, for the
 * sentence. The entry check of every public function of an object. */
static inline spork_status spork__object_check(const spork__object *object, const spork__kind *kind, const char *call)
{
    return object != NULL && object->kind == kind && !object->not_shared ? SPORK_OK
                                                                         : spork__object_refuse(object, kind, call);
}

/* The kind with that number; NULL. A concept makes its kind known once, before its first object. */
const spork__kind *spork__kind_find(uint16_t kind);
void spork__kind_add(const spork__kind *kind);
void spork__kinds_add(void); /* all of them: kinds.c */

/* Handles that an object has or not, as the system needs them: where they are kept. One that is the same as the one before it
 * travels once, and is closed once. */
typedef spork_native *const spork__places[];
/* Adds those that are there to a parcel; *which tells the receiver. */
void spork__parcel_put(spork__parcel *parcel, spork__places places, int count, uint32_t *which);
/* Takes them from a parcel, whose first `used` handles are others; all places are written. false: it has fewer, or more. */
bool spork__parcel_get(const spork__parcel *parcel, size_t used, spork__places places, int count, uint32_t which);
void spork__places_close(spork__places places, int count);

/* Calls `fn` for every object of this process, under SPORK__LOCK_OBJECTS; `alone`: in a forked child, without. */
void spork__object_each(void (*fn)(spork__object *object, void *user), void *user, bool alone);
/* Hangs up all of them. */
void spork__objects_hang_up(void);
/* Whether `is` says so of any object of that kind in this process. */
bool spork__object_any(const spork__kind *kind, bool (*is)(const spork__object *object, const void *user),
                       const void *user);

/* The number of the first argument that is an object, from 1; 0: none is. */
unsigned spork__objects_first(const spork_args *args);
/* How many handles the objects of decoded args need, which are still their payloads. */
size_t spork__objects_wanted(const spork_args *args);

/* Whether that argument, an object, can be passed: SPORK_INVALID, SPORK_NOT_SHARED, naming it. */
spork_status spork__objects_check(const spork_item *item, unsigned number);
/* SPORK_INVALID: an object is moved, and there once more. */
spork_status spork__objects_check_moved(const spork_args *args);
/* How many objects are in a pack, and their parcels. SPORK_INVALID, SPORK_NOT_SHARED, naming the argument. */
spork_status spork__objects_give(const spork_args *args, spork__parcels *parcels, size_t *handle_count);
/* For a message: they are on their way from now on; and it was sent, or not. */
void spork__objects_send_off(const spork_args *args, spork__parcels *parcels);
void spork__objects_sent(const spork_args *args, const spork__parcels *parcels, bool sent);
/* All handles of the parcels, in order, into `handles` (room for that count). */
void spork__objects_handles(const spork_args *args, const spork__parcels *parcels, spork_native *handles);
/* After decoding: makes the objects, from their payloads and the handles in order. All or none; on failure all handles are
 * closed. */
spork_status spork__objects_take(spork_args *args, const int64_t *handles, size_t handle_count);
/* In a forked child: makes passed objects anew from their parcels and abandons all others. */
spork_status spork__objects_after_fork(spork_args *args, const spork__parcels *parcels);
/* Makes an object belong to the item that it is in, until it is kept; false: not any more. */
void spork__object_own(spork_item *item, bool own);
/* Drops it if it still does. */
void spork__object_drop(spork_item *item);
/* Drops the received, not kept objects of args. */
void spork__objects_release(spork_args *args);
/* After a successful start: closes what was moved. */
void spork__objects_moved(const spork_args *args);

#ifdef __cplusplus
}
#endif
#endif
