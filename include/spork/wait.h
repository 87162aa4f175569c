/**
 * @file wait.h
 * Waiting for any of many: processes and tasks to end, connections and queues to have something, or room, events to be set, and the system's
 * own handles.
 *
 *     spork_wait_item items[] = { spork_on(process), spork_on(connection), spork_on(queue), spork_on_native(fd, SPORK_READ) };
 *     SPORK_MUST(spork_wait(items, 4, SPORK_FOREVER));
 *     if (items[1].ready) spork_connection_recv(connection, &message, 0);
 *
 * | object     | SPORK_READ: ready when                                    | SPORK_WRITE: ready when                 |
 * |------------|-----------------------------------------------------------|-----------------------------------------|
 * | process    | it has ended                                              | -                                       |
 * | connection | a message, or a part of one, has come, or the end is there | something can be sent, or nobody receives |
 * | queue      | there is a message, or the end is there                   | there is room, or nobody is left to get |
 * | event      | it is set                                                 | -                                       |
 * | future     | its task has ended                                        | -                                       |
 * | pool       | callbacks are due (`.manual_callbacks`), or none will come | -                                      |
 * | native     | POSIX: it is readable, or at its end; Windows: it is signalled | POSIX: it is writable              |
 * | socket     | something can be received or accepted, or the end is there | something can be sent, or a connect has ended |
 *
 * To ask for what is not there (-) is SPORK_INVALID. Ready means that a call would not wait now: another thread or process may be quicker. On Windows a connection is always ready to
 * send.
 *
 * There is no limit to the number of items, on Windows neither (where the system's own wait ends at 64).
 *
 * ## In somebody else's loop
 * spork_arm gives a handle for poll, epoll, kqueue or MsgWaitForMultipleObjects, and tells first whether there is any need to wait:
 *
 *     while (spork_arm(spork_on(queue), &handle) == SPORK_READY) handle_what_is_there(queue);
 *     ... wait for the handle to be readable, and begin again ...
 *
 * A socket on Windows has none (SPORK_UNSUPPORTED): such a loop has its own way to wait for it.
 * The handle is only to be waited on; it may wake for nothing. It has to be armed before each wait.
 * That another process dies, or is stopped, makes no handle readable by itself: a loop that waits
 * for the end of a queue, or for room beside others who put, should arm it again every 100 ms or so.
 */
#ifndef SPORK_WAIT_H
#define SPORK_WAIT_H

#include "connection.h"
#include "pool.h"
#include "process.h"
#include "queue.h"
#include "sync.h"

#ifdef __cplusplus
extern "C" {
#endif

/** One thing to wait for. Made by spork_on; `events` may be changed, `ready` is the answer. */
typedef struct spork_wait_item {
    int kind;            /**< of the object; spork_on knows it */
    int events;          /**< SPORK_READ (the default), SPORK_WRITE, or both */
    void *object;        /**< NULL for a native one and a socket; during a wait it is used for that */
    spork_native native; /**< -1 for an object */
    bool ready;          /**< stored by spork_wait */
} spork_wait_item;

/* Kinds of items besides the objects', whose number they share. */
enum {
    SPORK__WAIT_NATIVE = 1,
    SPORK__WAIT_PROCESS = 2,
    SPORK__WAIT_FUTURE = 3,
    SPORK__WAIT_POOL = 4,
    SPORK__WAIT_SOCKET = 5
};

static inline spork_wait_item spork__on(int kind, void *object, spork_native native, int events)
{
    spork_wait_item item;
    item.kind = kind;
    item.events = events;
    item.object = object;
    item.native = native;
    item.ready = false;
    return item;
}
static inline spork_wait_item spork__on_process(spork_process *p)
{
    return spork__on(SPORK__WAIT_PROCESS, p, -1, SPORK_READ);
}
static inline spork_wait_item spork__on_connection(spork_connection *c) { return spork__on(SPORK__KIND_CONNECTION, c, -1, SPORK_READ); }
static inline spork_wait_item spork__on_queue(spork_queue *q) { return spork__on(SPORK__KIND_QUEUE, q, -1, SPORK_READ); }
static inline spork_wait_item spork__on_event(spork_event *e) { return spork__on(SPORK__KIND_EVENT, e, -1, SPORK_READ); }
static inline spork_wait_item spork__on_future(const spork_future *f)
{
    return spork__on(SPORK__WAIT_FUTURE, (void *)(uintptr_t)f, -1, SPORK_READ); /* it is only looked at */
}
static inline spork_wait_item spork__on_pool(spork_pool *p) { return spork__on(SPORK__WAIT_POOL, p, -1, SPORK_READ); }
/** A descriptor, or a handle that can be waited on (Windows: `events` does not matter). */
static inline spork_wait_item spork_on_native(spork_native native, int events)
{
    return spork__on(SPORK__WAIT_NATIVE, NULL, native, events);
}
/** A socket, alike on all systems: a descriptor, or a SOCKET. Its modes, and what the program itself
 *  waits for it by (WSAEventSelect), stay as they are. */
static inline spork_wait_item spork_on_socket(spork_native socket, int events)
{
    return spork__on(SPORK__WAIT_SOCKET, NULL, socket, events);
}

#ifndef __cplusplus
/** The item for a process, connection, queue, event, future or pool. */
#define spork_on(object)                                                                                               \
    _Generic((object),                                                                                                 \
        spork_process *: spork__on_process,                                                                            \
        spork_connection *: spork__on_connection,                                                                      \
        spork_queue *: spork__on_queue,                                                                                \
        spork_event *: spork__on_event,                                                                                \
        spork_future *: spork__on_future,                                                                              \
        const spork_future *: spork__on_future,                                                                        \
        spork_pool *: spork__on_pool)(object)
#endif

/**
 * Waits until one item is ready, and tells of each whether it is.
 * @return SPORK_OK: at least one is; SPORK_TIMEOUT: none; SPORK_INVALID, SPORK_NOT_SHARED …: an item that cannot be waited for, as the
 *         sentence says; SPORK_NO_MEMORY.
 */
SPORK_API spork_status spork_wait(spork_wait_item *items, size_t count, int timeout_ms);

/**
 * Prepares a wait by other means.
 * @param handle  a descriptor that will be readable (with SPORK_WRITE of a connection: writable), or a handle that will be signalled; -1
 *                with SPORK_READY
 * @return SPORK_OK: it was not ready, and the handle will tell; SPORK_READY: no need to wait; SPORK_UNSUPPORTED: this system has no
 *         handle for that; otherwise as spork_wait.
 */
SPORK_API spork_status spork_arm(spork_wait_item item, spork_native *handle);

#ifdef __cplusplus
}

inline spork_wait_item spork_on(spork_process *p) { return spork__on_process(p); }
inline spork_wait_item spork_on(spork_connection *c) { return spork__on_connection(c); }
inline spork_wait_item spork_on(spork_queue *q) { return spork__on_queue(q); }
inline spork_wait_item spork_on(spork_event *e) { return spork__on_event(e); }
inline spork_wait_item spork_on(const spork_future *f) { return spork__on_future(f); }
inline spork_wait_item spork_on(spork_pool *p) { return spork__on_pool(p); }
#endif
#endif
