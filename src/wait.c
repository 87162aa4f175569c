#include "waitable.h"

#include <stdatomic.h>

#include "alloc.h"
#include "deadline.h"
#include "error.h"
#include "platform.h"

/* BOUND_MS: a bell's wake-up may be lost with a process that is killed, and a death wakes nobody; LOOK_MS: for what has no
 * handle. */
enum { BOUND_MS = 50, LOOK_MS = 2, MOST_ABOVE = 4 };

/* ---- the system's handles, and processes ---- */

static spork_status check_native(const spork_wait_item *item, const char *call)
{
    (void)call;
    return spork__os_check_handle(item->native);
}
static bool native_is_ready(const spork_wait_item *item, bool ask)
{
    (void)ask;
    return spork__os_is_ready(item->native, item->events);
}
static spork_native native_handle(const spork_wait_item *item, bool writing)
{
    (void)writing;
    return item->native;
}

/* The object of such an item is what was begun for it; NULL: nothing was. It is the wait's own. */
static spork_status check_socket(const spork_wait_item *item, const char *call)
{
    (void)call;
    return spork__os_socket_check(item->native);
}
static bool socket_is_ready(const spork_wait_item *item, bool ask)
{
    (void)ask;
    return spork__os_socket_is_ready(item->native, item->events);
}
static spork_native socket_handle(const spork_wait_item *item, bool writing)
{
    return spork__os_socket_watch(item->native, writing, &((spork_wait_item *)item)->object);
}
static void leave_socket(const spork_wait_item *item)
{
    spork__os_socket_leave(&((spork_wait_item *)item)->object);
}

static spork_status check_process(const spork_wait_item *item, const char *call)
{
    if (item->events & SPORK_WRITE) return spork__fail(SPORK_INVALID, "%s: a process has nothing but SPORK_READ", call);
    if (spork_process_pid(item->object) == 0) return spork__fail(SPORK_BAD_STATE, "a process that was not started");
    return SPORK_OK;
}
static bool process_is_ready(const spork_wait_item *item, bool ask)
{
    (void)ask;
    return !spork_process_is_alive(item->object);
}
static spork_native process_handle(const spork_wait_item *item, bool writing)
{
    (void)writing;
    return spork_process_sentinel(item->object);
}

static const spork__waitable native = {
    .kind = SPORK__WAIT_NATIVE, .check = check_native, .ready = native_is_ready, .handle = native_handle};
static const spork__waitable sockets = {.kind = SPORK__WAIT_SOCKET,
                                        .check = check_socket,
                                        .ready = socket_is_ready,
                                        .handle = socket_handle,
                                        .leave = leave_socket};
static const spork__waitable process = {
    .kind = SPORK__WAIT_PROCESS, .check = check_process, .ready = process_is_ready, .handle = process_handle};

/* ---- all kinds ---- */

static const spork__waitable *_Atomic above[MOST_ABOVE];

void spork__waitable_add(const spork__waitable *waitable)
{
    for (int i = 0; i < MOST_ABOVE; i++) {
        const spork__waitable *none = NULL;
        if (above[i] == waitable || atomic_compare_exchange_strong(&above[i], &none, waitable) || none == waitable)
            return;
    }
}

/* NULL: items are made by spork_on, and this was not. */
static const spork__waitable *waitable_of(const spork_wait_item *item)
{
    static const spork__waitable *const below[] = {&native,
                                                   &process,
                                                   &sockets,
                                                   &spork__connection_waitable,
                                                   &spork__queue_waitable,
                                                   &spork__event_waitable};
    for (size_t i = 0; i < sizeof below / sizeof *below; i++)
        if (below[i]->kind == item->kind) return below[i];
    for (int i = 0; i < MOST_ABOVE && above[i] != NULL; i++)
        if (above[i]->kind == item->kind) return above[i];
    return NULL;
}

static bool is_of_system(const spork_wait_item *item)
{
    return item->kind == SPORK__WAIT_NATIVE || item->kind == SPORK__WAIT_SOCKET;
}

static spork_status check(const spork_wait_item *item)
{
    const spork__waitable *w = waitable_of(item);
    if (item->events == 0 || item->events & ~(SPORK_READ | SPORK_WRITE))
        return spork__fail(SPORK_INVALID, "%d are no events: SPORK_READ, SPORK_WRITE or both", item->events);
    if (!is_of_system(item) && item->object == NULL)
        return spork__fail(SPORK_INVALID, "NULL: what should have made it has failed");
    if (w == NULL) return spork__fail(SPORK_INVALID, "an item of kind %d: items are made by spork_on", item->kind);
    return w->check(item, "spork_wait");
}

static bool is_ready(const spork_wait_item *item, bool ask) { return waitable_of(item)->ready(item, ask); }
static bool has_bell(const spork_wait_item *item) { return waitable_of(item)->quiet != NULL; }
static void quiet(const spork_wait_item *item, bool writing) { waitable_of(item)->quiet(item, writing); }
static spork_native handle_of(const spork_wait_item *item, bool writing)
{
    return waitable_of(item)->handle(item, writing);
}
static void leave(const spork_wait_item *item)
{
    if (waitable_of(item)->leave != NULL) waitable_of(item)->leave(item);
}

/* ---- waiting ---- */

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
        int bound = has_bell(&items[i]) ? BOUND_MS : SPORK_FOREVER;
        for (int event = SPORK_READ; event <= SPORK_WRITE; event *= 2) {
            if (!(items[i].events & event)) continue;
            handles[n] = (spork__wait_handle){.handle = handle_of(&items[i], event == SPORK_WRITE),
                                              .for_writing = event == SPORK_WRITE && !has_bell(&items[i]),
                                              .item = i};
            if (handles[n].handle != SPORK__NO_HANDLE)
                n++;
            else
                bound = LOOK_MS;
        }
        if (bound >= 0 && (*ms < 0 || bound < *ms)) *ms = bound;
    }
    return n;
}

/* A bell's sound that has woken us for nothing would go on doing so. */
static void quieten(const spork_wait_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!has_bell(&items[i])) continue;
        if (items[i].events & SPORK_READ) quiet(&items[i], false);
        if (items[i].events & SPORK_WRITE) quiet(&items[i], true);
    }
}

typedef struct call {
    spork_wait_item *items;
    size_t count;
    spork__wait_handle few[16], *handles;
} call;

static void end_call(void *user)
{
    call *c = user;
    for (size_t i = 0; i < c->count; i++) leave(&c->items[i]);
    if (c->handles != c->few) spork__free(c->handles);
}

static void sleep_or_end(call *c, size_t handles, int ms)
{
    const spork__cleanup cleanup = {end_call, c, NULL};
    spork__os_cancel_allow(&cleanup);
    spork__os_wait_any(c->handles, handles, ms);
    spork__os_cancel_forbid();
}

static spork_status wait_for_any(call *c, spork__deadline *d)
{
    spork_wait_item *items = c->items;
    spork__wait_handle *handles = c->handles;
    size_t count = c->count;
    for (bool first = true;; first = false) {
        int ms = spork__deadline_left(d);
        if (ms == 0) return SPORK_TIMEOUT;
        /* Each is followed by an announcement: else what others have announced would be heard by nobody. */
        if (!first) quieten(items, count);
        size_t n = gather(items, count, handles, &ms);
        if (look_at_all(items, count, first)) return SPORK_OK; /* after the announcements */
        sleep_or_end(c, n, ms);
        for (size_t i = 0; i < n; i++) /* what has used a signal up must say so; the others are asked again */
            if (handles[i].fired && is_of_system(&items[handles[i].item]))
                items[handles[i].item].ready = true;
        if (look_at_all(items, count, true)) return SPORK_OK;
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
    if (timeout_ms < SPORK_FOREVER) return spork__refuse_time(timeout_ms, "spork_wait");
    if (look_at_all(items, count, timeout_ms == 0)) return SPORK_OK;
    if (timeout_ms == 0) return spork__fail(SPORK_TIMEOUT, "spork_wait: nothing is ready");
    call c = {.items = items, .count = count};
    c.handles = 2 * count <= 16
                    ? c.few
                    : spork__alloc(2 * count * sizeof *c.handles, "handles to wait for");
    if (c.handles == NULL) return SPORK_NO_MEMORY;
    spork_status status = wait_for_any(&c, &d);
    end_call(&c);
    if (status == SPORK_TIMEOUT)
        status = spork__fail(SPORK_TIMEOUT, "spork_wait: nothing was ready in %d ms", timeout_ms);
    return status;
}

/* A bell's handle is made fresh first. Another process may wait on it too: if there is something, it is woken again, lest the sound
 * that was meant for it be lost with us. */
static bool arm_bell(const spork_wait_item *item, bool writing, spork_native *handle)
{
    quiet(item, writing);
    *handle = handle_of(item, writing);
    if (!is_ready(item, true)) return false;
    waitable_of(item)->call(item, writing);
    return true;
}

/* One that lasts beyond this call; what was begun for a wait of ours would be lost with it. */
static spork_native lasting_handle(spork_wait_item *item, bool writing)
{
    spork_native handle = handle_of(item, writing);
    if (item->kind != SPORK__WAIT_SOCKET || item->object == NULL) return handle;
    leave(item);
    return SPORK__NO_HANDLE;
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
    if (has_bell(&item) ? arm_bell(&item, writing, handle)
                        : (*handle = lasting_handle(&item, writing), is_ready(&item, false))) {
        *handle = SPORK__NO_HANDLE;
        return SPORK_READY;
    }
    if (*handle == SPORK__NO_HANDLE)
        return spork__fail(SPORK_UNSUPPORTED, "spork_arm: this system has no handle for that: use spork_wait");
    return SPORK_OK;
}
