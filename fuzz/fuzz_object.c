/* An object that came from another process: what describes it (its parcel) and the shared memory behind it are written over, and then it is
 * taken, used and freed. Each call comes back with a status, and in time. Which process may do what is not at stake here: memory that is
 * shared can be spoiled by all who share it; but only that, and what is not shared stays whole (which a sanitizer would see).
 *
 * An input is the kind of object, then triples {place, place, value} that are written over its parcel and its memory, and between them calls. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <spork/spork.h>

#include "expect.h"
#include "object.h"
#include "platform.h"
#include "queue.h"
#include "ring.h"
#include "shm.h"
#include "sync.h"

enum { KINDS = 9, STEPS = 64 };

static void checked(spork_status status) { EXPECT(status == SPORK_OK || spork_error()[0] != 0); }

/* ---- the kinds ---- */

static spork__object *make(unsigned kind)
{
    spork_queue_options single = {.single_producer = true, .single_consumer = true, .capacity = 8192};
    switch (kind) {
    case 0: return (spork__object *)spork_lock_new();
    case 1: return (spork__object *)spork_rlock_new();
    case 2: return (spork__object *)spork_semaphore_new(2, 0);
    case 3: return (spork__object *)spork_semaphore_new(2, 5);
    case 4: return (spork__object *)spork_event_new();
    case 5: return (spork__object *)spork_condition_new();
    case 6: return (spork__object *)spork_barrier_new(2);
    case 7: return (spork__object *)spork_queue_new_with(&single);
    default: return (spork__object *)spork_shm_new(100);
    }
}

static int nothing(void *user) { return (void)user, 0; }

static void use_sync(spork__object *o, unsigned kind, unsigned what)
{
    void *it = o;
    unsigned index;
    switch (kind << 4 | what % 8) {
    case 0x00: checked(spork_lock_acquire(it, 0)); break;
    case 0x01: checked(spork_lock_release(it)); break;
    case 0x02: checked(spork_lock_recover(it, 0)); break;
    case 0x03: spork_lock_locked(it); break;
    case 0x10: checked(spork_rlock_acquire(it, 0)); break;
    case 0x11: checked(spork_rlock_release(it)); break;
    case 0x12: checked(spork_rlock_recover(it, 0)); break;
    case 0x20:
    case 0x30: checked(spork_semaphore_acquire(it, 0)); break;
    case 0x21:
    case 0x31: checked(spork_semaphore_release(it)); break;
    case 0x22:
    case 0x32: spork_semaphore_value(it); break;
    case 0x40: checked(spork_event_set(it)); break;
    case 0x41: checked(spork_event_clear(it)); break;
    case 0x42: checked(spork_event_wait(it, 0)); break;
    case 0x43: spork_event_is_set(it); break;
    case 0x50: checked(spork_condition_acquire(it, 0)); break;
    case 0x51: checked(spork_condition_release(it)); break;
    case 0x52: checked(spork_condition_wait(it, 0)); break;
    case 0x53: checked(spork_condition_notify(it, 1)); break;
    case 0x54: checked(spork_condition_notify_all(it)); break;
    case 0x55: checked(spork_condition_recover(it, 0)); break;
    case 0x60: checked(spork_barrier_wait(it, &index, 0)); break;
    case 0x61: checked(spork_barrier_abort(it)); break;
    case 0x62: checked(spork_barrier_reset(it)); break;
    case 0x63: checked(spork_barrier_wait_then(it, nothing, NULL, &index, 0)); break;
    case 0x64: spork_barrier_waiting(it); break;
    case 0x65: spork_barrier_broken(it); break;
    default: break;
    }
}

static void use_queue(spork_queue *q, unsigned what)
{
    static unsigned char bytes[8192];
    size_t got;
    void *room = NULL;
    spork_args *values = NULL;
    spork_bytes message;
    switch (what % 12) {
    case 0: checked(spork_queue_put_bytes(q, bytes, what, 0)); break;
    case 1: checked(spork_queue_put_bytes(q, bytes, what * 30u, 0)); break;
    case 2: checked(spork_queue_get_bytes(q, bytes, sizeof bytes, &got, 0)); break;
    case 3: checked(spork_queue_put(q, spork_pack(1, "two"), 0)); break;
    case 4:
        checked(spork_queue_get(q, &values, 0));
        spork_args_free(values);
        break;
    case 5: spork_queue_size(q); break;
    case 6: checked(spork_queue_task_done(q)); break;
    case 7: checked(spork_queue_join(q, 0)); break;
    case 8:
        if (spork_queue_reserve(q, what * 20u, &room, 0) != SPORK_OK) break;
        memset(room, 1, what * 20u);
        checked(spork_queue_commit(q, room, what * 10u));
        break;
    case 9:
        if (spork_queue_peek(q, &message, 0) != SPORK_OK) break;
        for (size_t i = 0; i < message.size; i += 97) bytes[0] = (unsigned char)(bytes[0] + ((const unsigned char *)message.data)[i]);
        checked(spork_queue_release(q, message));
        break;
    case 10: checked(spork_queue_drop(q, (int)(what >> 4 & 3))); break;
    default: checked(spork_queue_close(q)); break;
    }
}

static void use(spork__object *o, unsigned kind, unsigned what)
{
    spork_shm *m = (spork_shm *)(void *)o;
    if (kind < 7)
        use_sync(o, kind, what);
    else if (kind == 7)
        use_queue((spork_queue *)(void *)o, what);
    else
        memset(spork_shm_data(m), 1, spork_shm_size(m));
}

/* ---- damage ---- */

/* Where the locks of that memory are, which begin the parts that these numbers are in. */
enum { RING = 0x474E5253, ARENA = 0x4E524153, MOST_LOCKS = 4 };
static size_t locks[MOST_LOCKS], lock_count, ring_at;

static void find_locks(const spork__block *b, unsigned kind)
{
    const uint32_t *words = b->data;
    lock_count = ring_at = 0;
    if (kind < 7) locks[lock_count++] = offsetof(spork__sync_words, mutex);
    if (kind != 7) return;
    for (size_t i = 0; i < b->size / 4 && lock_count < MOST_LOCKS; i += 32) {
        if (words[i] == RING) ring_at = i * 4, locks[lock_count++] = i * 4 + 128, locks[lock_count++] = i * 4 + 256;
        if (words[i] == ARENA) locks[lock_count++] = i * 4 - 128;
        if (words[i] == ARENA) break;
    }
    EXPECT(lock_count == 3 && ring_at > 0);
}

/* A lock word that names nobody is taken over after 10 ms: right, but too slow for thousands of rounds; and one that names this process is
 * waited for, as it should be. */
static void free_locks(spork__block *b)
{
    for (size_t i = 0; i < lock_count; i++) memset((unsigned char *)b->data + locks[i], 0, 4);
}

/* In the beginning of the memory, or of a queue's ring. */
static void write_over(spork__block *b, const uint8_t *triple)
{
    size_t at = (triple[0] & 0x7Fu) << 8 | triple[1];
    if (triple[0] & 0x80) at += ring_at;
    ((unsigned char *)b->data)[at % b->size] = triple[2];
    free_locks(b);
}

/* With handles of its own, as many as there are, whatever it comes to say. */
static void copy_parcel(const spork__parcel *from, spork__parcel *to)
{
    *to = *from;
    for (size_t i = 0; i < SPORK__PARCEL_HANDLES; i++) {
        to->handles[i] = i < from->handle_count ? dup((int)from->handles[i]) : SPORK__NO_HANDLE;
        EXPECT(i >= from->handle_count || to->handles[i] >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    spork__parcel whole, parcel;
    spork__block block;
    spork__object *taken = NULL;
    size_t at = 2;
    if (size < 2) return 0;
    unsigned kind = data[0] % KINDS;
    spork__object *original = make(kind);
    memset(&whole, 0, sizeof whole);
    EXPECT(original != NULL && original->kind->give(original, 0, &whole) == SPORK_OK);
    EXPECT(whole.handle_count <= SPORK__PARCEL_HANDLES);
    EXPECT(spork__os_block_open(&block, dup((int)whole.handles[0]), 0) == SPORK_OK);
    find_locks(&block, kind);
    copy_parcel(&whole, &parcel);
    if (data[1] & 1)
        for (; at + 2 <= size && data[at] < sizeof parcel.bytes; at += 2) parcel.bytes[data[at]] = data[at + 1];
    if (data[1] & 2) parcel.size = data[1] >> 2 & 31;
    if (data[1] & 4) parcel.handle_count = data[1] >> 3 & 7;
    for (at++; at + 3 <= size && data[at] != 0xFF; at += 3) write_over(&block, data + at);
    const spork__kind *its = original->kind;
    checked(its->take(its, &parcel, &taken));
    for (size_t i = taken != NULL ? parcel.handle_count : 0; i < whole.handle_count; i++)
        spork__os_handle_close(parcel.handles[i]); /* what the object has not made its own */
    at++;
    for (unsigned i = 0; i < STEPS && taken != NULL && at < size; i++) {
        if (data[at] % 2 == 0 && at + 4 <= size) {
            write_over(&block, data + at + 1);
            at += 4;
        } else
            use(taken, kind, data[at++] >> 1);
    }
    if (taken != NULL) its->release(taken);
    its->release(original);
    spork__os_block_free(&block);
    return 0;
}
