#define _GNU_SOURCE
#include "transports.h"

#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/futex.h>

#include <spork/spork.h>

static size_t capacity_for(size_t message) { return message >= 65536 ? 4 << 20 : 1 << 20; }

/* ---- Spork's ---- */

static spork_queue *queue;

static bool spork_open(size_t message)
{
    queue = spork_queue_new(0, capacity_for(message));
    return queue != NULL;
}
static void spork_put(const void *data, size_t size)
{
    SPORK_MUST(spork_queue_put_bytes(queue, data, size, SPORK_FOREVER));
}
static size_t spork_get(void *data, size_t room)
{
    size_t size;
    SPORK_MUST(spork_queue_get_bytes(queue, data, room, &size, SPORK_FOREVER));
    return size;
}
static void spork_close(void) { spork_queue_free(queue); }
const transport spork_transport = {"Spork's queue", spork_open, spork_put, spork_get,
                                   spork_close,     NULL,       NULL};

/* ---- a bare ring: a lock and an index for each side on cache lines of their own, views of the other side's index, sleeps on a
 * futex. What a queue costs that knows nothing of deaths, roles, timeouts or ends. ---- */

typedef struct bare_side {
    _Alignas(128) _Atomic uint32_t lock; /* 0 free, 1 held, 2 held and waited for */
    _Atomic uint64_t index;
    uint64_t seen;
    _Alignas(128) _Atomic uint32_t asleep; /* this side's one who waits for the other */
} bare_side;
static struct {
    bare_side put, get;
    size_t size;
    _Alignas(128) char data[];
} * ring;
static size_t ring_bytes;

static void futex(_Atomic uint32_t *word, int op, uint32_t value)
{
    struct timespec bound = {0, 50000000};
    syscall(SYS_futex, word, op, value, &bound, NULL, 0);
}

static void bare_lock(_Atomic uint32_t *lock)
{
    uint32_t free = 0;
    if (atomic_compare_exchange_strong(lock, &free, 1)) return;
    while (atomic_exchange(lock, 2) != 0) futex(lock, FUTEX_WAIT, 2);
}
static void bare_unlock(_Atomic uint32_t *lock)
{
    if (atomic_exchange(lock, 0) == 2) futex(lock, FUTEX_WAKE, 1);
}

/* Until `other` has come to `wanted`. */
static uint64_t bare_wait(_Atomic uint64_t *other, uint64_t wanted, _Atomic uint32_t *asleep)
{
    uint64_t now = atomic_load(other);
    while ((int64_t)(now - wanted) < 0) {
        atomic_store(asleep, 1);
        now = atomic_load(other);
        if ((int64_t)(now - wanted) < 0) futex(asleep, FUTEX_WAIT, 1);
        atomic_store(asleep, 0);
        now = atomic_load(other);
    }
    return now;
}
static void bare_wake(_Atomic uint32_t *asleep)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(asleep, memory_order_relaxed) && atomic_exchange(asleep, 0)) futex(asleep, FUTEX_WAKE, 1);
}

static void copy_in(uint64_t at, const void *data, size_t size)
{
    size_t offset = at & (ring->size - 1), first = ring->size - offset < size ? ring->size - offset : size;
    memcpy(ring->data + offset, data, first);
    memcpy(ring->data, (const char *)data + first, size - first);
}
static void copy_out(uint64_t at, void *data, size_t size)
{
    size_t offset = at & (ring->size - 1), first = ring->size - offset < size ? ring->size - offset : size;
    memcpy(data, ring->data + offset, first);
    memcpy((char *)data + first, ring->data, size - first);
}

static bool bare_open(size_t message)
{
    ring_bytes = sizeof *ring + capacity_for(message);
    ring = mmap(NULL, ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ring == MAP_FAILED) return false;
    ring->size = capacity_for(message);
    return true;
}
static void bare_put(const void *data, size_t size)
{
    uint32_t length = (uint32_t)size;
    bare_side *s = &ring->put;
    bare_lock(&s->lock);
    uint64_t at = atomic_load_explicit(&s->index, memory_order_relaxed), wanted = at + size + 4 - ring->size;
    if ((int64_t)(s->seen - wanted) < 0) s->seen = bare_wait(&ring->get.index, wanted, &s->asleep);
    copy_in(at, &length, 4);
    copy_in(at + 4, data, size);
    atomic_store_explicit(&s->index, at + 4 + size, memory_order_release);
    bare_unlock(&s->lock);
    bare_wake(&ring->get.asleep);
}
static size_t bare_get(void *data, size_t room)
{
    uint32_t length;
    bare_side *s = &ring->get;
    (void)room;
    bare_lock(&s->lock);
    uint64_t at = atomic_load_explicit(&s->index, memory_order_relaxed);
    if (s->seen == at) s->seen = bare_wait(&ring->put.index, at + 1, &s->asleep);
    copy_out(at, &length, 4);
    copy_out(at + 4, data, length);
    atomic_store_explicit(&s->index, at + 4 + length, memory_order_release);
    bare_unlock(&s->lock);
    bare_wake(&ring->put.asleep);
    return length;
}
static void bare_close(void) { munmap(ring, ring_bytes); }
const transport bare_transport = {"a bare ring", bare_open, bare_put, bare_get,
                                  bare_close,    NULL,      NULL};

/* ---- the same ring, but nobody sleeps ---- */

static const int pauses_of[LOOPS] = {0, 100, 1500};
enum { LOOKS = 10 };

static void pauses(int n)
{
    for (int i = 0; i < n; i++)
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#else
        __asm__ volatile("" : : : "memory");
#endif
}

static void look_again(int way, int *looks)
{
    if (pauses_of[way] == 0) return;
    if ((*looks)++ < LOOKS)
        pauses(pauses_of[way]);
    else
        sched_yield();
}

static void loop_lock(_Atomic uint32_t *lock, int way)
{
    for (int looks = 0;; look_again(way, &looks)) {
        uint32_t free = 0;
        if (atomic_load_explicit(lock, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong(lock, &free, 1))
            return;
    }
}
static void loop_unlock(_Atomic uint32_t *lock)
{
    uint32_t held = 1;
    atomic_compare_exchange_strong(lock, &held, 0);
}
static uint64_t loop_wait(_Atomic uint64_t *other, uint64_t wanted, int way)
{
    uint64_t now = atomic_load_explicit(other, memory_order_acquire);
    for (int looks = 0; (int64_t)(now - wanted) < 0;
         now = atomic_load_explicit(other, memory_order_acquire))
        look_again(way, &looks);
    return now;
}

static void loop_put(const void *data, size_t size, int way)
{
    uint32_t length = (uint32_t)size;
    bare_side *s = &ring->put;
    loop_lock(&s->lock, way);
    uint64_t at = atomic_load_explicit(&s->index, memory_order_relaxed),
             wanted = at + size + 4 - ring->size;
    if ((int64_t)(s->seen - wanted) < 0) s->seen = loop_wait(&ring->get.index, wanted, way);
    copy_in(at, &length, 4);
    copy_in(at + 4, data, size);
    atomic_store_explicit(&s->index, at + 4 + size, memory_order_release);
    loop_unlock(&s->lock);
    if (atomic_load_explicit(&ring->get.asleep, memory_order_relaxed)) bare_wake(&ring->get.asleep);
}
static size_t loop_get(void *data, int way)
{
    uint32_t length;
    bare_side *s = &ring->get;
    loop_lock(&s->lock, way);
    uint64_t at = atomic_load_explicit(&s->index, memory_order_relaxed);
    if (s->seen == at) s->seen = loop_wait(&ring->put.index, at + 1, way);
    copy_out(at, &length, 4);
    copy_out(at + 4, data, length);
    atomic_store_explicit(&s->index, at + 4 + length, memory_order_release);
    loop_unlock(&s->lock);
    if (atomic_load_explicit(&ring->put.asleep, memory_order_relaxed)) bare_wake(&ring->put.asleep);
    return length;
}

#define LOOP(way)                                                                                  \
    static void loop_put_##way(const void *data, size_t size) { loop_put(data, size, way); }       \
    static size_t loop_get_##way(void *data, size_t room)                                          \
    {                                                                                              \
        (void)room;                                                                                \
        return loop_get(data, way);                                                                \
    }
LOOP(0)
LOOP(1)
LOOP(2)
const transport loop_transports[LOOPS] = {
    {"a loop, at once", bare_open, loop_put_0, loop_get_0, bare_close, NULL, NULL},
    {"a loop, short pauses", bare_open, loop_put_1, loop_get_1, bare_close, NULL, NULL},
    {"a loop, long pauses", bare_open, loop_put_2, loop_get_2, bare_close, NULL, NULL},
};

/* ---- POSIX message queue ---- */

static mqd_t mq;

static bool mq_start(size_t message)
{
    struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = (long)message};
    char name[40];
    snprintf(name, sizeof name, "/spork-bench-%d", (int)getpid());
    mq = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
    if (mq == (mqd_t)-1) return false;
    mq_unlink(name);
    return true;
}
static void mq_put(const void *data, size_t size)
{
    if (mq_send(mq, data, size, 0) != 0) exit(1);
}
static size_t mq_get(void *data, size_t room) { return (size_t)mq_receive(mq, data, room, NULL); }
static void mq_end(void) { mq_close(mq); }
const transport mq_transport = {"POSIX mq", mq_start, mq_put, mq_get, mq_end, NULL, NULL};
