/* What locks, semaphores, events, conditions and barriers have in common: a block of shared memory that begins with spork__sync_words, and the
 * handles that wake those who sleep on its words. */
#ifndef SPORK_SRC_SYNC_H
#define SPORK_SRC_SYNC_H

#include <spork/sync.h>

#include "bell.h"
#include "object.h"

/* To be known before a child's arguments are read. */
void spork__sync_kinds_add(void);

#ifdef __cplusplus
extern "C" {
#endif

/* For tests: how many of the living are about to sleep or asleep, and were not told yet; whether somebody is. */
unsigned spork__condition_waiting(const spork_condition *condition);
bool spork__event_awaited(const spork_event *event);
bool spork__semaphore_awaited(const spork_semaphore *semaphore);
/* For tests: how many processes are expected there. */
unsigned spork__barrier_expected(const spork_barrier *barrier);

#ifdef __cplusplus
}
#else

#include "mutex.h"

typedef struct spork__sync_words {
    uint32_t magic, layout;
    uint64_t nonce; /* two objects of one process may be the same one */
    _Alignas(128) spork__mutex mutex;
} spork__sync_words;

/* One process' view. */
typedef struct spork__sync {
    spork__object object;
    spork__block block;
    spork_native berth; /* the mutex' */
    spork__ear ear;     /* of those who wait for something else */
} spork__sync;

typedef struct spork__sync_kind {
    spork__kind kind;
    uint32_t magic;
    bool has_bell, has_chime, has_lock; /* which handles it needs; has_lock: the mutex is a user's */
    size_t words_size;                  /* at least */
    /* In a process that has got the object: SPORK_BAD_MESSAGE … May be NULL. */
    spork_status (*joined)(spork__sync *sync);
    /* Before this process lets go of it. May be NULL. */
    void (*leave)(spork__sync *sync);
} spork__sync_kind;

/* The functions that all kinds share, for their spork__kind. */
spork_status spork__sync_give(spork__object *object, unsigned flags, spork__parcel *parcel);
spork_status spork__sync_take(const spork__kind *kind, const spork__parcel *parcel, spork__object **object);
void spork__sync_abandon(spork__object *object, bool close);
void spork__sync_release(spork__object *object);
#define SPORK__SYNC_KIND(number, name)                                                             \
    {                                                                                              \
        number, name, spork__sync_give, NULL, spork__sync_take, spork__sync_abandon,               \
            spork__sync_release, NULL                                                              \
    }

/* A new one, of `size` bytes of shared memory, the first `ready` of them there. NULL with a sentence. */
spork__sync *spork__sync_new(const spork__sync_kind *kind, size_t size, size_t ready, const char *call);
void spork__sync_free(spork__sync *sync, const spork__sync_kind *kind, const char *call);

/* The common part of an object, which may be NULL. */
#define SPORK__SYNC(object) ((object) == NULL ? NULL : &(object)->sync)
/* Whether this process has no other object of the same thing. */
bool spork__sync_is_last(const spork__sync *sync);
/* SPORK_INVALID, with a sentence. */
spork_status spork__lock_options_read(const spork_lock_options *options, size_t size, bool *hands_on, const char *call);

static inline spork__sync_words *spork__sync_words_of(const spork__sync *sync)
{
    return (spork__sync_words *)sync->block.data;
}
static inline spork__mutex *spork__sync_mutex(const spork__sync *sync) { return &spork__sync_words_of(sync)->mutex; }
static inline spork_status spork__sync_check(const spork__sync *sync, const spork__sync_kind *kind, const char *call)
{
    return spork__object_check(sync == NULL ? NULL : &sync->object, &kind->kind, call);
}
/* Makes this process a participant; for what notes who has something. */
static inline spork_status spork__sync_participate(uint32_t *me)
{
    *me = spork__tree_self_at_a_glance();
    if (*me == 0) *me = spork__tree_self();
    return *me != 0 ? SPORK_OK : spork_last_status();
}

extern const spork__sync_kind spork__lock_kind, spork__rlock_kind, spork__semaphore_kind, spork__event_kind,
    spork__condition_kind, spork__barrier_kind;

#endif
#endif
