/* Event: one word, `set` in bit 0, above it how often it was set. Who waits goes on when it is set, or was since it came. */
#include "backoff.h"
#include "deadline.h"
#include "error.h"
#include "sync.h"
#include "waitable.h"

typedef struct words {
    spork__sync_words common;
    _Alignas(128) _Atomic uint64_t state;
    _Alignas(128) spork__bell bell;
} words;

struct spork_event {
    spork__sync sync;
};

static words *words_of(const spork_event *e) { return e->sync.block.data; }
static uint64_t state_of(const spork_event *e)
{
    return atomic_load_explicit(&words_of(e)->state, memory_order_acquire);
}

const spork__sync_kind spork__event_kind = {.kind = SPORK__SYNC_KIND(SPORK__KIND_EVENT, "event"),
                                            .magic = 0x54564553 /* "SEVT" */,
                                            .has_bell = true,
                                            .has_chime = true,
                                            .words_size = sizeof(words)};

spork_event *spork_event_new(void)
{
    return (spork_event *)spork__sync_new(&spork__event_kind, sizeof(words), sizeof(words), "spork_event_new");
}

static spork_status check(const spork_event *e, const char *call)
{
    return spork__sync_check(SPORK__SYNC(e), &spork__event_kind, call);
}

/* Nothing here may be done that a signal handler must not do. */
spork_status spork_event_set(spork_event *e)
{
    spork_status status = check(e, "spork_event_set");
    if (status != SPORK_OK) return status;
    uint64_t seen = state_of(e);
    do
        if (seen & 1) return SPORK_OK;
    while (!atomic_compare_exchange_weak_explicit(&words_of(e)->state, &seen, (seen | 1) + 2, memory_order_acq_rel,
                                                  memory_order_acquire));
    spork__at(SPORK__AT_EVENT_SET);
    spork__bell_ring_late(&words_of(e)->bell, &e->sync.ear);
    return SPORK_OK;
}

spork_status spork_event_clear(spork_event *e)
{
    spork_status status = check(e, "spork_event_clear");
    if (status == SPORK_OK) atomic_fetch_and_explicit(&words_of(e)->state, ~UINT64_C(1), memory_order_acq_rel);
    return status;
}

bool spork_event_is_set(const spork_event *e)
{
    return check(e, "spork_event_is_set") == SPORK_OK && (state_of(e) & 1) != 0;
}

static bool was_set(const spork_event *e, uint64_t since)
{
    uint64_t now = state_of(e);
    return (now & 1) != 0 || now >> 1 != since >> 1;
}

static spork__backoff backoff;

spork_status spork_event_wait(spork_event *e, int timeout_ms)
{
    static const char call[] = "spork_event_wait";
    spork__deadline d = {.timeout_ms = timeout_ms};
    spork_status status = spork__timed(check(e, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    uint64_t since = state_of(e);
    if (since & 1) return SPORK_OK;
    if (timeout_ms != 0) spork__backoff_while(&backoff, &words_of(e)->state, since);
    while (!was_set(e, since)) {
        int left = spork__deadline_left(&d);
        if (left == 0) return spork__fail(SPORK_TIMEOUT, "%s: not set within %d ms", call, timeout_ms);
        uint32_t ticket = spork__bell_announce(&words_of(e)->bell);
        if (was_set(e, since)) break;
        spork__bell_sleep_or_end(&words_of(e)->bell, &e->sync.ear, ticket, left, NULL);
    }
    return SPORK_OK;
}

void spork_event_free(spork_event *e) { spork__sync_free(SPORK__SYNC(e), &spork__event_kind, "spork_event_free"); }

/* ---- waiting together with other things ---- */

static spork_status check_wait(const spork_wait_item *item, const char *call)
{
    spork_status status = check(item->object, call);
    if (status == SPORK_OK && item->events & SPORK_WRITE)
        return spork__fail(SPORK_INVALID, "%s: an event has nothing but SPORK_READ", call);
    return status;
}

static bool is_ready(const spork_wait_item *item, bool ask)
{
    (void)ask;
    return spork_event_is_set(item->object);
}

static spork_native announce(const spork_wait_item *item, bool writing)
{
    spork_event *e = item->object;
    (void)writing;
    spork__bell_announce_polling(&words_of(e)->bell);
    return spork__bell_handle(&e->sync.ear);
}

static void quiet(const spork_wait_item *item, bool writing)
{
    (void)writing;
    spork__bell_quiet(&((spork_event *)item->object)->sync.ear);
}

static void call_all(const spork_wait_item *item, bool writing)
{
    spork_event *e = item->object;
    (void)writing;
    spork__bell_call(&words_of(e)->bell, &e->sync.ear);
}

const spork__waitable spork__event_waitable = {.kind = SPORK__KIND_EVENT,
                                               .check = check_wait,
                                               .ready = is_ready,
                                               .handle = announce,
                                               .quiet = quiet,
                                               .call = call_all};

bool spork__event_awaited(const spork_event *e) { return spork__bell_awaited(&words_of(e)->bell); }
