/* A queue is a ring (ring.c), and a table of who may put and get: a line for each process of the tree.
 *
 *     line = id << 32 | how often it may put << 16 | how often it may get,    and what it has in hands
 *
 * A line is written by its own process only; others read it, and ask the tree whether that process lives. So nothing counts
 * the living: a death needs no mending here, it is found by who waits. A line whose process is dead or has another id is free: the
 * next process with that slot in the tree takes it over, and adds what the dead one had in hands to the number of the lost.
 *
 * A close has two steps: from CLOSING on no put begins, from CLOSED on none is under way, and only then the end is told. Whoever waits
 * takes the second step, should the one who closed have died before it.
 *
 * What a death leaves behind: its line. What it had in hands is written off by a joiner, or by the line's next process, by one
 * compare-and-swap, after it was added to the lost; a death between these counts it twice. */
#include "queue.h"

#include <stdatomic.h>
#include <string.h>

#include "alloc.h"
#include "bell.h"
#include "error.h"
#include "fault.h"
#include "hints.h"
#include "log.h"
#include "message.h"
#include "platform.h"
#include "ring.h"
#include "tree.h"
#include "value.h"
#include "waitable.h"

enum {
    MAGIC = 0x45555153 /* "SQUE" */,
    LAYOUT = 1,
    DEFAULT_CAPACITY = 1 << 20,
    MOST_MESSAGES = (1 << 28) - 2,
    FEW_BYTES = 4096
};

enum { CLOSING = 1, CLOSED = 2 }; /* no more puts begin; none is under way any more */

typedef struct line {
    _Atomic uint64_t roles;
    _Atomic uint32_t objects; /* in which this process has the queue */
    uint32_t room;
    spork__ring_hands hands;
} line;
_Static_assert(sizeof(line) == 32, "the same on both sides of a process' border");

typedef struct queue_words {
    uint32_t magic, layout;
    uint32_t single_producer, single_consumer;
    _Alignas(128) _Atomic uint32_t closed;
    _Atomic uint32_t changes; /* counts what may have been an end: drops, frees, a close */
    _Atomic uint32_t lost;
    _Alignas(128) spork__bell done_bell;
    _Alignas(128) line lines[SPORK__TREE_SLOTS];
} queue_words;

struct spork_queue {
    spork__object object;
    spork__block block;
    queue_words *words;
    spork__ring ring;
    spork__ear done_ear;
    spork__ring_rights rights; /* what this object may do */
    _Atomic uint32_t enrolled; /* as whom; another after a plain fork */
    spork__ring_hands *hands;  /* of that one's line */
    atomic_bool warned, warned_of_bytes;
    atomic_bool hung_up; /* its roles are not counted any more: this process ends, or the object */
    _Atomic uint32_t
        looked_at[2]; /* how many changes there were when nobody was found missing; for SPORK_PUT, SPORK_GET */
    spork__ring_loan reserved, peeked;
    bool has_reserved, has_peeked;
};

/* What a process is told beside the handles. */
typedef struct description {
    uint64_t size;
    uint32_t roles, handles; /* which of them travel */
    uint32_t in_transit, room;
} description;

static spork_queue *of(spork__object *object) { return (spork_queue *)object; }
static size_t ring_offset(void) { return (sizeof(queue_words) + 4095) / 4096 * 4096; }

/* ---- who may put and get ---- */

/* Neighbours in the tree are often at work at once: their lines are far apart, or they would share cache lines. */
static line *line_of(const spork_queue *q, uint32_t id)
{
    uint32_t slot = id & (SPORK__TREE_SLOTS - 1);
    return &q->words->lines[(slot % 128) * (SPORK__TREE_SLOTS / 128) + slot / 128];
}

static uint32_t id_of(uint64_t roles) { return (uint32_t)(roles >> 32); }
static uint64_t count_for(const spork_queue *q)
{
    if (atomic_load(&q->hung_up)) return 0;
    return (uint64_t)q->rights.put << 16 | (uint64_t)q->rights.get;
}

/* What the dead process of a line had in hands becomes lost, once, whoever comes first. */
static void write_off(const spork_queue *q, line *l, uint64_t roles)
{
    uint64_t seen = spork__ring_taken(&l->hands);
    if (id_of(roles) == 0 || atomic_load(&l->roles) != roles) return; /* another has the line: it did this */
    uint32_t open = spork__ring_open(
        &q->ring, &l->hands); /* told before nobody has them: no joiner misses them */
    atomic_fetch_add(&q->words->lost, open);
    uint32_t had = spork__ring_write_off(&q->ring, &l->hands, seen);
    if (had != open) atomic_fetch_sub(&q->words->lost, open - had);
}

/* Who died while it was taking a message has got it if the index has moved, which only tells that until the next one moves it. */
static void getter_died(void *user)
{
    const spork_queue *q = user;
    for (uint32_t i = 0; i < SPORK__TREE_SLOTS; i++) {
        line *l = &q->words->lines[i];
        uint64_t roles = atomic_load_explicit(&l->roles, memory_order_acquire);
        if (id_of(roles) != 0 && spork__ring_is_taking(&l->hands) && !spork__tree_alive(id_of(roles)))
            write_off(q, l, roles);
    }
}

/* Adds to what this process may do, or takes from it. */
static void change_roles(spork_queue *q, uint32_t me, uint64_t change, bool add)
{
    line *l = line_of(q, me);
    uint64_t found = atomic_load(&l->roles);
    while (id_of(found) != me) { /* the tree gave us the slot: who had it before is dead */
        write_off(q, l, found);
        if (!atomic_compare_exchange_strong(&l->roles, &found, (uint64_t)me << 32)) continue;
        atomic_store(&l->objects, 0);
        found = (uint64_t)me << 32;
    }
    while (!atomic_compare_exchange_weak(&l->roles, &found, add ? found + change : found - change)) {}
}

/* Before each use: a plain fork's child is another participant than its parent. */
static spork_status enrol(spork_queue *q)
{
    uint32_t me = spork__tree_self_at_a_glance(),
             known = atomic_load_explicit(&q->enrolled, memory_order_acquire);
    if (me != 0 && me == known) return SPORK_OK;
    if (me == 0) me = spork__tree_self();
    if (me == 0) return spork_last_status();
    if (me == known) return SPORK_OK;
    spork__os_lock(SPORK__LOCK_OBJECTS); /* of two threads only one */
    known = atomic_load(&q->enrolled);
    if (known != me) {
        change_roles(q, me, count_for(q), true);
        atomic_fetch_add(&line_of(q, me)->objects, 1);
        q->hands = &line_of(q, me)->hands;
        atomic_store(&q->enrolled, me);
    }
    spork__os_unlock(SPORK__LOCK_OBJECTS);
    return SPORK_OK;
}

/* What this process has in hands is lost when its last object of the queue goes: nobody else could
 * say that it is done. */
static void leave(spork_queue *q, uint32_t me)
{
    line *l = line_of(q, me);
    spork__os_lock(
        SPORK__LOCK_OBJECTS); /* no other thread gets an object of it meanwhile, and messages */
    change_roles(q, me, count_for(q), false);
    atomic_store(&q->hung_up, true);
    bool last = atomic_fetch_sub(&l->objects, 1) == 1;
    if (last) write_off(q, l, atomic_load(&l->roles));
    spork__os_unlock(SPORK__LOCK_OBJECTS);
    if (last) spork__bell_ring_late(&q->words->done_bell, &q->done_ear);
}

static uint64_t mask_of(spork_role role) { return role == SPORK_PUT ? 0xFFFF0000u : 0xFFFFu; }

/* Is there another living process that may? */
static bool others_may(const spork_queue *q, spork_role role)
{
    uint32_t me = spork__tree_self();
    for (uint32_t i = 0; i < SPORK__TREE_SLOTS; i++) {
        uint64_t roles = atomic_load_explicit(&q->words->lines[i].roles, memory_order_acquire);
        if ((roles & mask_of(role)) != 0 && id_of(roles) != me && spork__tree_alive(id_of(roles))) return true;
    }
    return false;
}

static bool we_may(const spork_queue *q, spork_role role)
{
    uint64_t roles = atomic_load(&line_of(q, q->enrolled)->roles);
    if (atomic_load(&q->hung_up)) return role == SPORK_PUT ? q->rights.put : q->rights.get;
    return id_of(roles) == q->enrolled && (roles & mask_of(role)) != 0;
}

/* The second step of a close, within that time. */
static bool finish_closing(spork_queue *q, int timeout_ms)
{
    if (spork__ring_pass(&q->ring, timeout_ms) != SPORK_OK) return false;
    atomic_store(&q->words->closed, CLOSED);
    return true;
}

static bool is_closed(spork_queue *q)
{
    uint32_t closed = atomic_load(&q->words->closed);
    return closed == CLOSED || (closed == CLOSING && finish_closing(q, 0));
}

static void warn_once(spork_queue *q, const char *verb, const char *role)
{
    if (atomic_exchange(&q->warned, true)) return;
    spork__log(
        SPORK_LOG_WARNING,
        "waiting to %s, and no other process could end that: unless another thread of this one does, it lasts for "
        "ever; spork_queue_drop(queue, %s) gives up what this process does not use, and then the end is seen",
        verb, role);
}

/* Has the other side ended? `alone`: only this process itself could still play that role. */
static bool deserted(spork_queue *q, spork_role role, bool *alone)
{
    *alone = false;
    if (is_closed(q)) return true;
    /* A role in a message is on nobody's line yet, and on its receiver's before it is not under way any
     * more. */
    if (others_may(q, role) || spork__os_transit_under_way(&q->block, (unsigned)role) ||
        others_may(q, role))
        return false;
    *alone = we_may(q, role);
    return !*alone;
}

/* One wait's view of the queue. */
typedef struct waiter {
    spork_queue *queue;
    bool for_ever; /* then, if nobody can end it, it is worth a warning */
} waiter;

static bool nobody_plays(const waiter *w, spork_role role, bool thorough, const char *verb, const char *name)
{
    spork_queue *q = w->queue;
    _Atomic uint32_t *looked_at = &q->looked_at[role == SPORK_PUT ? 0 : 1];
    uint32_t changes = atomic_load(&q->words->changes) + 1; /* 0: has never looked */
    bool alone;
    if (!thorough && atomic_load(looked_at) == changes) return false;
    if (deserted(q, role, &alone)) return true;
    atomic_store(looked_at, changes);
    if (alone && w->for_ever) warn_once(q, verb, name);
    return false;
}

static bool may_put(void *user)
{
    return spork__ring_may_put(&((const waiter *)user)->queue->rights);
}
static bool may_get(void *user)
{
    return spork__ring_may_get(&((const waiter *)user)->queue->rights);
}

static bool no_putter(void *user, bool thorough)
{
    return !may_get(user) || nobody_plays(user, SPORK_PUT, thorough, "get", "SPORK_PUT");
}
static bool no_getter(void *user, bool thorough)
{
    return !may_put(user) || nobody_plays(user, SPORK_GET, thorough, "put", "SPORK_GET");
}

/* Where much flows nobody sleeps: so this is a cancellation point, too, of whoever may wait. */
static spork__ring_wait wait_to(waiter *w, bool put, int timeout_ms, const spork__cleanup *cleanup)
{
    if (timeout_ms != 0) spork__os_cancel_allow(cleanup);
    spork__os_cancel_forbid();
    return (spork__ring_wait){.deadline = {.timeout_ms = timeout_ms},
                              .deserted = put ? no_getter : no_putter,
                              .allowed = put ? may_put : may_get,
                              .user = w,
                              .cleanup = cleanup};
}

/* Something may have ended: who sleeps looks around. */
static void tell_of_change(spork_queue *q)
{
    atomic_fetch_add(&q->words->changes, 1);
    spork__ring_wake_all(&q->ring);
}

/* ---- making and giving ---- */

/* All handles beside the memory's, in the order in which they travel; those that this system needs none of are SPORK__NO_HANDLE. */
enum { LOCKS = SPORK__RING_LOCKS, BELLS = SPORK__RING_BELLS, HANDLES = LOCKS + 3 * BELLS + 1 };
static spork_native *handle_at(spork_queue *q, int i)
{
    if (i < LOCKS) return &q->ring.berths[i];
    if (i == HANDLES - 1) return &q->done_ear.berth;
    spork__ear *ear = &q->ring.ears[(i - LOCKS) / 3];
    switch ((i - LOCKS) % 3) {
    case 0: return &ear->berth;
    case 1: return &ear->chime.wait;
    default: return &ear->chime.ring;
    }
}

static void places_of(spork_queue *q, spork_native *places[HANDLES])
{
    for (int i = 0; i < HANDLES; i++) places[i] = handle_at(q, i);
}

static spork_queue *new_queue(void)
{
    spork_queue *q = spork__alloc(sizeof *q, "a queue");
    if (q == NULL) return NULL;
    q->block.handle = SPORK__NO_HANDLE;
    q->ring.getter_died = getter_died;
    q->ring.user = q;
    for (int i = 0; i < HANDLES; i++) *handle_at(q, i) = SPORK__NO_HANDLE;
    return q;
}

static void close_handles(spork_queue *q)
{
    spork_native *places[HANDLES];
    places_of(q, places);
    spork__places_close(places, HANDLES);
}

/* Under SPORK__LOCK_START, as everything that opens or closes. */
static void close_all(spork_queue *q, bool with_handles)
{
    if (with_handles) close_handles(q);
    if (!with_handles) q->block.handle = SPORK__NO_HANDLE;
    spork__os_block_free(&q->block);
}

static void destroy(spork_queue *q, bool with_handles)
{
    close_all(q, with_handles);
    spork__free(q);
}

static spork_status get_block(spork__block *block, size_t capacity)
{
    spork__ring_sizes sizes = {0};
    spork_status status = spork__ring_plan(capacity, &sizes);
    if (status != SPORK_OK) return status;
    status = spork__os_block_afford(ring_offset() + sizes.fixed);
    if (status == SPORK_OK)
        status = spork__os_block_new_growing(block, ring_offset() + sizes.whole);
    if (status != SPORK_OK) return status;
    status = spork__os_block_commit(block, 0, ring_offset() + sizes.fixed);
    if (status != SPORK_OK) spork__os_block_free(block);
    return status;
}

/* As many addresses as there are, of those that are no burden: the memory behind them is to be the
 * bound. */
static spork_status get_unbounded_block(spork__block *block, size_t *capacity)
{
    spork_status status;
    *capacity = spork__os_block_spacious();
    while ((status = get_block(block, *capacity)) != SPORK_OK && *capacity > DEFAULT_CAPACITY)
        *capacity /= 2;
    return status;
}

static spork_status fill(spork_queue *q, const spork_queue_options *o)
{
    size_t capacity = o->capacity != 0 ? o->capacity : DEFAULT_CAPACITY;
    uint32_t most = o->max_messages == 0 || o->max_messages > MOST_MESSAGES
                        ? MOST_MESSAGES
                        : (uint32_t)o->max_messages;
    spork_status status =
        o->unbounded ? get_unbounded_block(&q->block, &capacity) : get_block(&q->block, capacity);
    for (int i = 0; i < LOCKS && status == SPORK_OK; i++) status = spork__os_berth_new(&q->ring.berths[i]);
    for (int i = 0; i < BELLS && status == SPORK_OK; i++) {
        status = spork__os_berth_new(&q->ring.ears[i].berth);
        if (status == SPORK_OK) status = spork__os_chime_new(&q->ring.ears[i].chime);
    }
    if (status == SPORK_OK) status = spork__os_berth_new(&q->done_ear.berth);
    if (status != SPORK_OK) return status;
    q->words = q->block.data;
    q->rights.closed = &q->words->closed;
    q->words->layout = LAYOUT;
    q->words->single_producer = o->single_producer;
    q->words->single_consumer = o->single_consumer;
    q->words->magic = MAGIC;
    q->rights.put = q->rights.get = true;
    return spork__ring_make(&q->ring, &q->block, ring_offset(), capacity, most);
}

/* What would only be found out later, by who waits for ever. */
static spork_status check_options(const spork_queue_options *o)
{
    if (o->unbounded && o->capacity != 0)
        return spork__fail(SPORK_INVALID, "an unbounded queue has no capacity");
    if (o->capacity == 0 || o->capacity >= FEW_BYTES || o->max_messages <= o->capacity)
        return SPORK_OK;
    return spork__fail(
        SPORK_INVALID,
        "%zu messages do not fit into %zu bytes: the number of messages comes first, "
        "then the bytes; 0 for one that is no bound",
        o->max_messages, o->capacity);
}

spork_queue *spork__queue_new(const spork_queue_options *options, size_t size)
{
    spork_queue_options o;
    memset(&o, 0, sizeof o);
    if (options != NULL) memcpy(&o, options, size < sizeof o ? size : sizeof o);
    spork__kind_add(&spork__queue_kind);
    spork_status status = check_options(&o);
    if (status != SPORK_OK) {
        spork__fail_in(status, "spork_queue_new");
        return NULL;
    }
    spork_queue *q = new_queue();
    if (q == NULL) return NULL;
    spork__os_lock(SPORK__LOCK_START);
    status = fill(q, &o);
    if (status == SPORK_OK)
        spork__object_track(&q->object, &spork__queue_kind);
    else
        destroy(q, true);
    spork__os_unlock(SPORK__LOCK_START);
    if (status == SPORK_OK && (status = enrol(q)) != SPORK_OK) spork_queue_free(q);
    if (status == SPORK_OK) return q;
    spork__fail_in(status, "spork_queue_new");
    return NULL;
}

spork_queue *spork_queue_new(size_t max_messages, size_t capacity)
{
    spork_queue_options o = {.max_messages = max_messages, .capacity = capacity};
    return spork__queue_new(&o, sizeof o);
}

static spork_status give(spork__object *object, unsigned flags, spork__parcel *parcel)
{
    spork_queue *q = of(object);
    bool puts = q->rights.put && !(flags & SPORK__FLAG_GET_ONLY),
         gets = q->rights.get && !(flags & SPORK__FLAG_PUT_ONLY);
    if (!puts && !gets)
        return spork__fail(SPORK_INVALID, "a role cannot be given that this process does not have itself");
    description about = {.size = q->block.size, .roles = (puts ? SPORK_PUT : 0u) | (gets ? SPORK_GET : 0u)};
    parcel->handle_count = 0;
    parcel->handles[parcel->handle_count++] = q->block.handle;
    spork_native *places[HANDLES];
    places_of(q, places);
    spork__parcel_put(parcel, places, HANDLES, &about.handles);
    memcpy(parcel->bytes, &about, sizeof about);
    parcel->size = sizeof about;
    return SPORK_OK;
}

static void send_off(spork__object *object, spork__parcel *parcel)
{
    description about;
    memcpy(&about, parcel->bytes, sizeof about);
    parcel->sent_off = spork__os_transit_begin(&of(object)->block, about.roles);
    if (parcel->sent_off == SPORK__NO_HANDLE) return;
    parcel->handles[0] = parcel->sent_off;
    about.in_transit = 1;
    memcpy(parcel->bytes, &about, sizeof about);
}

static spork_status join_memory(spork_queue *q, spork_native handle, const description *about)
{
    if (about->size < ring_offset() || about->size > SIZE_MAX) return spork__fail(SPORK_BAD_MESSAGE, "a damaged queue");
    spork_status status = spork__os_block_open(&q->block, handle, (size_t)about->size);
    if (status != SPORK_OK) return status;
    q->words = q->block.data;
    q->rights.closed = &q->words->closed;
    if (q->words->magic != MAGIC || q->words->layout != LAYOUT)
        return spork__fail(SPORK_BAD_MESSAGE, "a queue of another version of Spork, or a damaged one");
    q->rights.put = (about->roles & SPORK_PUT) != 0;
    q->rights.get = (about->roles & SPORK_GET) != 0;
    return spork__ring_join(&q->ring, &q->block, ring_offset());
}

static spork_status take(const spork__kind *kind, const spork__parcel *parcel, spork__object **object)
{
    description about;
    (void)kind;
    if (parcel->size != sizeof about) return spork__fail(SPORK_BAD_MESSAGE, "a damaged queue");
    memcpy(&about, parcel->bytes, sizeof about);
    spork_queue *q = new_queue();
    if (q == NULL) return SPORK_NO_MEMORY;
    spork_native *places[HANDLES];
    places_of(q, places);
    spork_status status = spork__parcel_get(parcel, 1, places, HANDLES, about.handles)
                              ? SPORK_OK
                              : spork__fail(SPORK_BAD_MESSAGE, "a damaged queue");
    if (status == SPORK_OK) status = join_memory(q, parcel->handles[0], &about);
    if (status == SPORK_OK) status = enrol(q);
    if (status != SPORK_OK) {
        destroy(q, false); /* the handles are still the caller's */
        return status;
    }
    if (about.in_transit) spork__os_transit_end(q->block.handle); /* it has its roles */
    spork__object_track(&q->object, &spork__queue_kind);
    *object = &q->object;
    return SPORK_OK;
}

static void abandon(spork__object *object, bool close)
{
    spork_queue *q = of(object);
    if (close) close_handles(q);
    spork__os_block_abandon(&q->block, close);
}

static void release(spork__object *object) { spork_queue_free(of(object)); }

static void hang_up(spork__object *object);

const spork__kind spork__queue_kind = {SPORK__KIND_QUEUE, "queue", give,   send_off, take,
                                       abandon,           release, hang_up};

static void give_up_loans(spork_queue *q)
{
    if (q->has_reserved) spork__ring_give_up(&q->ring, &q->reserved);
    if (q->has_peeked) spork__ring_put_back(&q->ring);
}

void spork_queue_free(spork_queue *q)
{
    if (!spork__object_freeable(q == NULL ? NULL : &q->object, &spork__queue_kind, "spork_queue_free")) return;
    if (!q->object.not_shared) {
        uint32_t me = spork__tree_self_at_a_glance();
        if (me == 0) me = spork__tree_self();
        give_up_loans(q);
        if (me != 0 && me == q->enrolled) leave(q, me);
        tell_of_change(q);
    }
    spork__os_lock(SPORK__LOCK_START);
    spork__object_untrack(&q->object);
    close_all(q, !q->object.not_shared);
    spork__os_unlock(SPORK__LOCK_START);
    spork__object_free(&q->object);
}

/* ---- the calls ---- */

static spork_status check(spork_queue *q, int role, const char *call)
{
    spork_status status = spork__object_check(q == NULL ? NULL : &q->object, &spork__queue_kind, call);
    if (status != SPORK_OK) return status;
    if ((role == SPORK_PUT && !q->rights.put) || (role == SPORK_GET && !q->rights.get))
        return spork__fail(SPORK_INVALID,
                           "%s: this process may not %s: it was given the queue without that role, or has dropped it",
                           call, role == SPORK_PUT ? "put" : "get");
    status = enrol(q);
    return spork__in_call(status, call);
}

/* This process, if the queue is one, is shared with it, and it is enrolled; else 0. */
static uint32_t at_a_glance(const spork_queue *q)
{
    if (q == NULL || q->object.kind != &spork__queue_kind || q->object.not_shared) return 0;
    uint32_t me = spork__tree_self_at_a_glance();
    return me == atomic_load_explicit(&q->enrolled, memory_order_acquire) ? me : 0;
}

static spork_status put_bytes(spork_queue *q, const void *data, size_t size, int timeout_ms,
                              const spork__cleanup *cleanup)
{
    waiter w = {q, timeout_ms < 0};
    spork__ring_wait wait = wait_to(&w, true, timeout_ms, cleanup);
    if (atomic_load_explicit(&q->words->closed, memory_order_relaxed))
        return spork__fail(SPORK_CLOSED, "the queue was closed");
    if (q->has_reserved) return spork__fail(SPORK_BAD_STATE, "room is reserved, and not yet committed");
    return spork__ring_put(&q->ring, data, size, &wait);
}

SPORK__LONG_WAY static spork_status check_and_put_bytes(spork_queue *q, const void *data,
                                                        size_t size, int timeout_ms)
{
    static const char call[] = "spork_queue_put_bytes";
    spork_status status = spork__timed(check(q, SPORK_PUT, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    if (data == NULL && size > 0) return spork__fail(SPORK_INVALID, "%s: NULL, but %zu bytes", call, size);
    return spork__in_call(put_bytes(q, data, size, timeout_ms, NULL), call);
}

spork_status spork_queue_put_bytes(spork_queue *q, const void *data, size_t size, int timeout_ms)
{
    uint32_t me = at_a_glance(q);
    if (me != 0 && (data != NULL || size == 0) && timeout_ms >= SPORK_FOREVER &&
        spork__ring_put_at_once(&q->ring, me, &q->rights, data, size))
        return SPORK_OK;
    return check_and_put_bytes(q, data, size, timeout_ms);
}

static void free_message(void *message) { spork__encoded_free(message); }

static spork_status put_values(spork_queue *q, const spork_args *values, int timeout_ms)
{
    spork__encoded message;
    unsigned object = spork__objects_first(values);
    if (object != 0)
        return spork__fail(SPORK_UNSUPPORTED,
                           "argument %u is an object, which a queue cannot carry: who will get it is not known; use a "
                           "duplex connection",
                           object);
    spork_status status = spork__values_size(values, &message.size);
    if (status == SPORK_OK) status = spork__ring_fits(&q->ring, message.size); /* before it is copied */
    if (status == SPORK_OK) status = spork__values_encode_sized(values, NULL, &message);
    if (status != SPORK_OK) return status;
    const spork__cleanup cleanup = {free_message, &message, NULL};
    status = put_bytes(q, message.data, message.size, timeout_ms, &cleanup);
    spork__encoded_free(&message);
    return status;
}

spork_status spork_queue_put(spork_queue *q, spork_args values, int timeout_ms)
{
    static const char call[] = "spork_queue_put";
    spork_status status = spork__timed(check(q, SPORK_PUT, call), timeout_ms, call);
    return status == SPORK_OK ? spork__in_call(put_values(q, &values, timeout_ms), call) : status;
}

static spork_status get_into(spork_queue *q, spork__ring_sink *sink, int timeout_ms)
{
    waiter w = {q, timeout_ms < 0};
    spork__ring_wait wait = wait_to(&w, false, timeout_ms, NULL);
    if (q->has_peeked) return spork__fail(SPORK_BAD_STATE, "a message is peeked at, and not yet released");
    return spork__ring_get(&q->ring, sink, q->hands, &wait);
}

typedef struct bytes_sink {
    spork__ring_sink sink;
    void *buffer;
    size_t size;
} bytes_sink;

static void *room_in_buffer(spork__ring_sink *sink, size_t size)
{
    bytes_sink *b = (bytes_sink *)sink;
    static char none; /* for a message of no bytes no buffer is needed */
    if (size <= b->size) return b->buffer != NULL ? b->buffer : &none;
    sink->status = spork__fail(SPORK_TOO_SMALL, "the message has %zu bytes, the buffer %zu; it is still in the queue",
                               size, b->size);
    return NULL;
}

SPORK__LONG_WAY static spork_status check_and_get_bytes(spork_queue *q, void *buffer, size_t size,
                                                        size_t *received, int timeout_ms)
{
    static const char call[] = "spork_queue_get_bytes";
    bytes_sink b = {.sink = {.room = room_in_buffer}, .buffer = buffer, .size = size};
    if (received != NULL) *received = 0;
    spork_status status = spork__timed(check(q, SPORK_GET, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    if (buffer == NULL && size > 0) return spork__fail(SPORK_INVALID, "%s: NULL, but %zu bytes", call, size);
    status = get_into(q, &b.sink, timeout_ms);
    if (received != NULL && (status == SPORK_OK || status == SPORK_TOO_SMALL)) *received = b.sink.size;
    return spork__in_call(status, call);
}

spork_status spork_queue_get_bytes(spork_queue *q, void *buffer, size_t size, size_t *received,
                                   int timeout_ms)
{
    uint32_t me = at_a_glance(q);
    if (me != 0 && (buffer != NULL || size == 0) && timeout_ms >= SPORK_FOREVER &&
        spork__ring_get_at_once(&q->ring, me, &q->rights, buffer, size, received, q->hands))
        return SPORK_OK;
    return check_and_get_bytes(q, buffer, size, received, timeout_ms);
}

typedef struct values_sink {
    spork__ring_sink sink;
    spork__message message;
} values_sink;

static void *room_in_message(spork__ring_sink *sink, size_t size)
{
    values_sink *v = (values_sink *)sink;
    sink->status = spork__message_reserve(&v->message, size);
    return sink->status == SPORK_OK ? v->message.data : NULL;
}

/* Bytes that are no pack of values were got as one. Who gets until there is something else than
 * SPORK_OK may take that for the end. */
static void lose_bytes(spork_queue *q)
{
    spork__ring_done(q->hands); /* nobody else will say so */
    if (atomic_exchange(&q->warned_of_bytes, true)) return;
    spork__log(SPORK_LOG_WARNING,
               "a message got by spork_queue_get was no pack of values, and is lost: what "
               "spork_queue_put_bytes puts is got by spork_queue_get_bytes");
}

static spork_status get_values(spork_queue *q, spork_args **values, int timeout_ms)
{
    values_sink v;
    spork_args args;
    memset(&v.sink, 0, sizeof v.sink);
    spork__message_begin(&v.message);
    v.sink.room = room_in_message;
    spork_status status = get_into(q, &v.sink, timeout_ms);
    if (status == SPORK_OK && (status = spork__values_decode(v.message.data, v.sink.size, &args)) != SPORK_OK)
        lose_bytes(q);
    if (status != SPORK_OK) {
        spork__message_drop(&v.message);
        return status;
    }
    *values = spork__message_release(&v.message);
    **values = args;
    return SPORK_OK;
}

spork_status spork_queue_get(spork_queue *q, spork_args **values, int timeout_ms)
{
    static const char call[] = "spork_queue_get";
    if (values == NULL) return spork__fail(SPORK_INVALID, "%s: where to?", call);
    *values = NULL;
    spork_status status = spork__timed(check(q, SPORK_GET, call), timeout_ms, call);
    return status == SPORK_OK ? spork__in_call(get_values(q, values, timeout_ms), call) : status;
}

size_t spork_queue_size(const spork_queue *q)
{
    if (spork__object_check(q == NULL ? NULL : &q->object, &spork__queue_kind, "spork_queue_size") != SPORK_OK)
        return 0;
    return spork__ring_count(&q->ring);
}

size_t spork_queue_capacity(const spork_queue *q)
{
    if (spork__object_check(q == NULL ? NULL : &q->object, &spork__queue_kind,
                            "spork_queue_capacity") != SPORK_OK)
        return 0;
    return (size_t)q->ring.largest;
}

size_t spork_queue_max_messages(const spork_queue *q)
{
    if (spork__object_check(q == NULL ? NULL : &q->object, &spork__queue_kind,
                            "spork_queue_max_messages") != SPORK_OK)
        return 0;
    return q->ring.most < MOST_MESSAGES ? q->ring.most : 0;
}

bool spork_queue_is_full(spork_queue *q)
{
    if (spork__object_check(q == NULL ? NULL : &q->object, &spork__queue_kind,
                            "spork_queue_is_full") != SPORK_OK)
        return false;
    return !spork__ring_ready(&q->ring, true);
}

/* Of two threads that drop the same, one has it. */
static bool give_up(spork_queue *q, int roles)
{
    spork__os_lock(SPORK__LOCK_OBJECTS);
    bool has = (!(roles & SPORK_PUT) || q->rights.put) &&
               (!(roles & SPORK_GET) || q->rights.get);
    if (has && roles & SPORK_PUT) q->rights.put = false;
    if (has && roles & SPORK_GET) q->rights.get = false;
    spork__os_unlock(SPORK__LOCK_OBJECTS);
    return has;
}

static uint64_t count_of(int roles)
{
    return (roles & SPORK_PUT ? UINT64_C(1) << 16 : 0) | (roles & SPORK_GET ? 1 : 0);
}

/* For the others as if this process had ended. For its own threads nothing changes: they must not
 * be told of an end that is none, and end the program by what they do then. What they have in
 * hands, or have reserved, is the end's matter. */
static void hang_up(spork__object *object)
{
    spork_queue *q = of(object);
    uint32_t me = spork__tree_self_known();
    if (me == 0 || atomic_load(&q->enrolled) != me || atomic_load(&q->hung_up)) return;
    uint64_t count = count_for(q);
    atomic_store(&q->hung_up, true);
    change_roles(q, me, count, false);
    tell_of_change(q);
}

spork_status spork_queue_drop(spork_queue *q, int roles)
{
    static const char call[] = "spork_queue_drop";
    spork_status status = check(q, 0, call);
    if (status != SPORK_OK) return status;
    if (roles == 0 || (roles & ~(SPORK_PUT | SPORK_GET)) != 0)
        return spork__fail(SPORK_INVALID, "%s: %d is no role: SPORK_PUT, SPORK_GET or both", call, roles);
    if ((roles & SPORK_PUT && q->has_reserved) || (roles & SPORK_GET && q->has_peeked))
        return spork__fail(SPORK_BAD_STATE, "%s: a message is reserved or peeked at", call);
    if (!give_up(q, roles))
        return spork__fail(SPORK_INVALID, "%s: this process has not got that role", call);
    spork__ring_wake_all(&q->ring);                        /* other threads of ours that wait in this role */
    if (roles & SPORK_PUT) spork__ring_pass_own(&q->ring); /* none of them will put after the end is seen */
    if (!atomic_load(&q->hung_up)) change_roles(q, q->enrolled, count_of(roles), false);
    tell_of_change(q);
    return SPORK_OK;
}

spork_status spork_queue_close(spork_queue *q)
{
    spork_status status = check(q, 0, "spork_queue_close");
    if (status != SPORK_OK) return status;
    if (q->has_reserved)
        return spork__fail(SPORK_BAD_STATE, "spork_queue_close: room is reserved, and not yet committed");
    uint32_t open = 0; /* nobody begins a put; and never back from CLOSED */
    atomic_compare_exchange_strong(&q->words->closed, &open, CLOSING);
    spork__ring_wake_all(&q->ring);
    spork__at(SPORK__AT_QUEUE_CLOSING);
    if (!finish_closing(q, SPORK_FOREVER)) return spork__fail_in(spork_last_status(), "spork_queue_close");
    tell_of_change(q);
    return SPORK_OK;
}

/* ---- task_done and join ---- */

spork_status spork_queue_task_done(spork_queue *q)
{
    static const char call[] = "spork_queue_task_done";
    spork_status status = check(q, 0, call); /* what was got is open also when the role was given up since */
    if (status != SPORK_OK) return status;
    if (!spork__ring_done(q->hands))
        return spork__fail(SPORK_BAD_STATE, "%s: called more often than this process got a message", call);
    spork__bell_ring_late(&q->words->done_bell, &q->done_ear);
    return SPORK_OK;
}

/* Messages that the living have in hands; what the dead had is added to the lost. */
static uint32_t open_messages(spork_queue *q)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < SPORK__TREE_SLOTS; i++) {
        line *l = &q->words->lines[i];
        uint64_t roles = atomic_load_explicit(&l->roles, memory_order_acquire);
        uint32_t has = id_of(roles) != 0 ? spork__ring_open(&q->ring, &l->hands) : 0;
        if (has == 0) continue;
        if (spork__tree_alive(id_of(roles)))
            open += has;
        else
            write_off(q, l, roles);
    }
    return open;
}

/* Without a put nobody gets anything from an empty ring: so what is in hands can only become less while it is counted. Else it is counted again. */
static bool all_done(spork_queue *q)
{
    uint64_t before, after;
    if (!spork__ring_is_empty(&q->ring, &before)) return false;
    spork__at(SPORK__AT_QUEUE_EMPTY);
    return open_messages(q) == 0 && spork__ring_is_empty(&q->ring, &after) && after == before;
}

spork_status spork_queue_join(spork_queue *q, int timeout_ms)
{
    static const char call[] = "spork_queue_join";
    spork__deadline d = {.timeout_ms = timeout_ms};
    spork_status status = spork__timed(check(q, 0, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    while (!all_done(q)) {
        int left = spork__deadline_left(&d);
        if (left == 0) return spork__fail(SPORK_TIMEOUT, "%s: not all is done after %d ms", call, timeout_ms);
        uint32_t ticket = spork__bell_announce(&q->words->done_bell);
        if (all_done(q)) break;
        spork__bell_sleep_or_end(&q->words->done_bell, &q->done_ear, ticket, left, NULL);
    }
    uint32_t lost = atomic_exchange(&q->words->lost, 0);
    if (lost == 0) return SPORK_OK;
    return spork__fail(
        SPORK_OWNER_DIED,
        "%s: all is done but %u messages, which were lost with those who had got them", call, lost);
}

/* ---- without a copy ---- */

spork_status spork_queue_reserve(spork_queue *q, size_t size, void **room, int timeout_ms)
{
    static const char call[] = "spork_queue_reserve";
    waiter w = {q, timeout_ms < 0};
    spork__ring_wait wait = wait_to(&w, true, timeout_ms, NULL);
    if (room == NULL) return spork__fail(SPORK_INVALID, "%s: where to?", call);
    *room = NULL;
    spork_status status = spork__timed(check(q, SPORK_PUT, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    if (!q->words->single_producer)
        return spork__fail(SPORK_UNSUPPORTED, "%s: only with .single_producer: others would have to wait meanwhile",
                           call);
    if (q->has_reserved) return spork__fail(SPORK_BAD_STATE, "%s: the last room is not yet committed", call);
    if (atomic_load(&q->words->closed)) return spork__fail(SPORK_CLOSED, "%s: the queue was closed", call);
    status = spork__ring_reserve(&q->ring, size, &q->reserved, &wait);
    if (status != SPORK_OK) return spork__in_call(status, call);
    q->has_reserved = true;
    *room = q->reserved.data;
    return SPORK_OK;
}

spork_status spork_queue_commit(spork_queue *q, void *room, size_t size)
{
    static const char call[] = "spork_queue_commit";
    spork_status status = check(q, SPORK_PUT, call);
    if (status != SPORK_OK) return status;
    if (!q->has_reserved || room != q->reserved.data)
        return spork__fail(SPORK_BAD_STATE, "%s: that room is not reserved", call);
    if (size > q->reserved.size)
        return spork__fail(SPORK_INVALID, "%s: %zu bytes in a room of %zu", call, size, q->reserved.size);
    q->has_reserved = false;
    spork__ring_commit(&q->ring, &q->reserved, size);
    return SPORK_OK;
}

spork_status spork_queue_peek(spork_queue *q, spork_bytes *message, int timeout_ms)
{
    static const char call[] = "spork_queue_peek";
    waiter w = {q, timeout_ms < 0};
    spork__ring_wait wait = wait_to(&w, false, timeout_ms, NULL);
    if (message == NULL) return spork__fail(SPORK_INVALID, "%s: where to?", call);
    *message = spork_bytes_of(NULL, 0);
    spork_status status = spork__timed(check(q, SPORK_GET, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    if (!q->words->single_consumer)
        return spork__fail(SPORK_UNSUPPORTED, "%s: only with .single_consumer: others would have to wait meanwhile",
                           call);
    if (q->has_peeked) return spork__fail(SPORK_BAD_STATE, "%s: the last message is not yet released", call);
    status = spork__ring_peek(&q->ring, &q->peeked, &wait);
    if (status != SPORK_OK) return spork__in_call(status, call);
    q->has_peeked = true;
    *message = spork_bytes_of(q->peeked.data, q->peeked.size);
    return SPORK_OK;
}

spork_status spork_queue_release(spork_queue *q, spork_bytes message)
{
    static const char call[] = "spork_queue_release";
    spork_status status = check(q, SPORK_GET, call);
    if (status != SPORK_OK) return status;
    if (!q->has_peeked || message.data != q->peeked.data)
        return spork__fail(SPORK_BAD_STATE, "%s: that is not the message that was peeked at", call);
    q->has_peeked = false;
    spork__ring_release(&q->ring, &q->peeked, q->hands);
    return SPORK_OK;
}

/* ---- waiting ---- */

static spork_status check_wait(const spork_wait_item *item, const char *call)
{
    spork_queue *q = item->object;
    spork_status status = check(q, 0, call);
    if (status == SPORK_OK && item->events & SPORK_READ) status = check(q, SPORK_GET, call);
    if (status == SPORK_OK && item->events & SPORK_WRITE) status = check(q, SPORK_PUT, call);
    return status;
}

static bool is_ready(const spork_wait_item *item, bool ask)
{
    spork_queue *q = item->object;
    if (item->events & SPORK_READ && spork__ring_ready(&q->ring, false)) return true;
    if (item->events & SPORK_WRITE && spork__ring_ready(&q->ring, true)) return true;
    if (is_closed(q)) return true;
    bool alone; /* no reason to warn: something else may end the wait */
    return ask && ((item->events & SPORK_READ && deserted(q, SPORK_PUT, &alone)) ||
                   (item->events & SPORK_WRITE && deserted(q, SPORK_GET, &alone)));
}

static spork__ring *ring_of(const spork_wait_item *item) { return &((spork_queue *)item->object)->ring; }
static spork_native announce(const spork_wait_item *item, bool writing)
{
    return spork__ring_announce(ring_of(item), writing);
}
static void quiet(const spork_wait_item *item, bool writing) { spork__ring_quiet(ring_of(item), writing); }
static void call_all(const spork_wait_item *item, bool writing) { spork__ring_call(ring_of(item), writing); }

const spork__waitable spork__queue_waitable = {.kind = SPORK__KIND_QUEUE,
                                               .check = check_wait,
                                               .ready = is_ready,
                                               .handle = announce,
                                               .quiet = quiet,
                                               .call = call_all};

bool spork__queue_awaited(const spork_queue *q, int role)
{
    return role == 0 ? spork__bell_awaited(&q->words->done_bell) : spork__ring_awaited(&q->ring, role == SPORK_PUT);
}

bool spork__queue_leased(const spork_queue *q) { return spork__ring_leased(&q->ring); }

size_t spork__queue_memory(const spork_queue *q) { return spork__os_block_committed(&q->block); }

size_t spork__queue_tidy(spork_queue *q) { return spork__ring_tidy(&q->ring); }
