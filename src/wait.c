#include <spork/wait.h>

#include "alloc.h"
#include "connection.h"
#include "deadline.h"
#include "error.h"
#include "platform.h"
#include "queue.h"

/* BOUND_MS: a queue's wake-up may be lost with a process that is killed, and a death wakes nobody; LOOK_MS: for what has no
 * handle. */
enum { BOUND_MS = 50, LOOK_MS = 2 };

static spork_status check_process(const spork_process *p)
{
    if (spork_process_pid(p) == 0) return spork__fail(SPORK_BAD_STATE, "a process that was not started");
    return SPORK_OK;
}

static spork_status check(const spork_wait_item *item)
{
    if (item->events == 0 || item->events & ~(SPORK_READ | SPORK_WRITE))
        return spork__fail(SPORK_INVALID, "%d are no events: SPORK_READ, SPORK_WRITE or both", item->events);
    if (item->kind != SPORK__WAIT_NATIVE && item->object == NULL)
        return spork__fail(SPORK_INVALID, "NULL: what should have made it has failed");
    switch (item->kind) {
    case SPORK__WAIT_NATIVE: return spork__os_check_handle(item->native);
    case SPORK__WAIT_PROCESS: return check_process(item->object);
    case SPORK__KIND_CONNECTION: return spork__connection_check_wait(item->object, item->events, "spork_wait");
    case SPORK__KIND_QUEUE: return spork__queue_check_wait(item->object, item->events, "spork_wait");
    default: return spork__fail(SPORK_INVALID, "an item of kind %d: items are made by spork_on", item->kind);
    }
}

static bool is_ready(const spork_wait_item *item, bool ask)
{
    switch (item->kind) {
    case SPORK__WAIT_NATIVE: return spork__os_is_ready(item->native, item->events);
    case SPORK__WAIT_PROCESS: return item->events & SPORK_READ && !spork_process_is_alive(item->object);
    case SPORK__KIND_CONNECTION: return spork__connection_ready(item->object, item->events);
    default: return spork__queue_ready(item->object, item->events, ask);
    }
}

/* The handle that tells of one event of an item; what has to be done before it is waited on is done. */
static spork_native handle_of(const spork_wait_item *item, bool writing)
{
    switch (item->kind) {
    case SPORK__WAIT_NATIVE: return item->native;
    case SPORK__WAIT_PROCESS: return writing ? SPORK__NO_HANDLE : spork_process_sentinel(item->object);
    case SPORK__KIND_CONNECTION: return spork__connection_handle(item->object, writing);
    default: return spork__queue_announce(item->object, writing);
    }
}

static bool look_at_all(spork_wait_item *items, size_t count, bool ask)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        items[i].ready = items[i].ready || is_ready(&items[i], ask);
        any = any || items[i].ready;
    }
    return any;
}

/* What will wake us, and for how long it may be believed. */
static size_t gather(const spork_wait_item *items, size_t count, spork__wait_handle *handles, int *ms)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        int bound = items[i].kind == SPORK__KIND_QUEUE ? BOUND_MS : SPORK_FOREVER;
        for (int event = SPORK_READ; event <= SPORK_WRITE; event *= 2) {
            if (!(items[i].events & event)) continue;
            handles[n] = (spork__wait_handle){.handle = handle_of(&items[i], event == SPORK_WRITE),
                                              .for_writing = event == SPORK_WRITE && items[i].kind != SPORK__KIND_QUEUE,
                                              .item = i};
            if (handles[n].handle != SPORK__NO_HANDLE)
                n++;
            else if (items[i].kind != SPORK__WAIT_PROCESS || event == SPORK_READ)
                bound = LOOK_MS;
        }
        if (bound >= 0 && (*ms < 0 || bound < *ms)) *ms = bound;
    }
    return n;
}

/* A queue's sound that has woken us for nothing would go on doing so. */
static void quieten(const spork_wait_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].kind != SPORK__KIND_QUEUE) continue;
        if (items[i].events & SPORK_READ) spork__queue_quiet(items[i].object, false);
        if (items[i].events & SPORK_WRITE) spork__queue_quiet(items[i].object, true);
    }
}

static spork_status wait_for_any(spork_wait_item *items, size_t count, spork__wait_handle *handles, spork__deadline *d)
{
    for (bool first = true;; first = false) {
        int ms = spork__deadline_left(d);
        if (ms == 0) return spork__fail(SPORK_TIMEOUT, "spork_wait: nothing was ready in %d ms", d->timeout_ms);
        size_t n = gather(items, count, handles, &ms);
        if (look_at_all(items, count, first)) return SPORK_OK; /* after the announcements */
        spork__os_wait_any(handles, n, ms);
        for (size_t i = 0; i < n; i++) /* what has used a signal up must say so; the others are asked again */
            if (handles[i].fired && items[handles[i].item].kind == SPORK__WAIT_NATIVE)
                items[handles[i].item].ready = true;
        if (look_at_all(items, count, true)) return SPORK_OK;
        quieten(items, count);
    }
}

spork_status spork_wait(spork_wait_item *items, size_t count, int timeout_ms)
{
    spork__deadline d = {.timeout_ms = timeout_ms};
    if (items == NULL || count == 0) return spork__fail(SPORK_INVALID, "spork_wait: nothing to wait for");
    for (size_t i = 0; i < count; i++) {
        items[i].ready = false;
        spork_status status = check(&items[i]);
        if (status != SPORK_OK) return spork__fail_in(status, "spork_wait: item %zu", i);
    }
    if (look_at_all(items, count, timeout_ms == 0)) return SPORK_OK;
    if (timeout_ms == 0) return spork__fail(SPORK_TIMEOUT, "spork_wait: nothing is ready");
    spork__wait_handle few[16], *handles = few;
    if (2 * count > 16 && (handles = spork__alloc(2 * count * sizeof *handles, "handles to wait for")) == NULL)
        return SPORK_NO_MEMORY;
    spork_status status = wait_for_any(items, count, handles, &d);
    if (handles != few) spork__free(handles);
    return status;
}

/* A queue's handle is made fresh first. Another process may wait on it too: if there is something, it is woken again, lest the sound
 * that was meant for it be lost with us. */
static bool arm_queue(const spork_wait_item *item, bool writing, spork_native *handle)
{
    spork__queue_quiet(item->object, writing);
    *handle = spork__queue_announce(item->object, writing);
    if (!is_ready(item, true)) return false;
    spork__queue_call(item->object, writing);
    return true;
}

spork_status spork_arm(spork_wait_item item, spork_native *handle)
{
    if (handle == NULL) return spork__fail(SPORK_INVALID, "spork_arm: where to?");
    *handle = SPORK__NO_HANDLE;
    spork_status status = check(&item);
    if (status != SPORK_OK) return spork__fail_in(status, "spork_arm");
    if (item.events == (SPORK_READ | SPORK_WRITE))
        return spork__fail(SPORK_INVALID, "spork_arm: one event at a time has a handle");
    bool writing = item.events == SPORK_WRITE;
    if (is_ready(&item, false)) return SPORK_READY;
    if (item.kind == SPORK__KIND_QUEUE ? arm_queue(&item, writing, handle)
                                       : (*handle = handle_of(&item, writing), is_ready(&item, false))) {
        *handle = SPORK__NO_HANDLE;
        return SPORK_READY;
    }
    if (*handle == SPORK__NO_HANDLE)
        return spork__fail(SPORK_UNSUPPORTED, "spork_arm: this system has no handle for that: use spork_wait");
    return SPORK_OK;
}
