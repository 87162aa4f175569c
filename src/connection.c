/* What a death leaves behind:
 *     a sender's, in the middle of a message    the receiver gets the end of the stream there, and drops what came
 *     a receiver's                              the sender is told that nobody receives; a message in the receiver's hands is lost
 *     anybody's, holding a copy of an end       that copy is closed by the system
 * Nothing is shared but the pipe itself, so nobody has anything to repair. */
#include "connection.h"

#include <stdatomic.h>
#include <string.h>

#include "alloc.h"
#include "copy.h"
#include "error.h"
#include "log.h"
#include "message.h"
#include "platform.h"
#include "shutdown.h"
#include "value.h"
#include "waitable.h"

struct spork_connection {
    spork__object object;
    spork__channel channel;
    uint64_t pair; /* both ends have the same, whoever holds them */
    uint8_t side;
    atomic_bool copied;   /* others may have this end, too */
    atomic_bool hung_up;  /* this process ends */
    bool look_for_mate;   /* the other end was made in this process, and may still be here */
    bool send_broken;     /* a message was sent in part */
    bool refused; /* the message that is here was no pack of values, and its receiver knows */
    bool receives, sends; /* from the beginning, whatever has become of the handles */
    bool objects;         /* they travel with its messages */
    spork__message message;
};

/* What a child is told beside the handles. */
typedef struct description {
    uint64_t pair;
    uint8_t side, receives, sends, objects, room[4];
} description;

static spork_connection *of(spork__object *object) { return (spork_connection *)object; }

/* ---- making and giving ---- */

/* Makes it an object that this process has. */
static void begin(spork_connection *c, const spork__channel *channel, uint64_t pair, int side,
                  bool objects)
{
    c->channel = *channel;
    c->receives = channel->in != SPORK__NO_HANDLE;
    c->sends = channel->out != SPORK__NO_HANDLE;
    c->pair = pair;
    c->side = (uint8_t)side;
    c->objects = objects;
    spork__object_track(&c->object, &spork__connection_kind);
}

static spork_connection *new_connection(const spork__channel *channel, uint64_t pair, int side,
                                        bool objects)
{
    spork_connection *c = spork__alloc(sizeof *c, "a connection");
    if (c != NULL) begin(c, channel, pair, side, objects);
    return c;
}

/* Before it goes elsewhere. */
static spork_status settle(spork_connection *c)
{
    const spork__message *m = &c->message;
    spork__os_channel_settle(&c->channel, &c->message);
    if (m->known || m->header_have > 0 || m->have > 0)
        return spork__fail(SPORK_BAD_STATE, "a message has been received in part, or did not fit: receive it first");
    if (c->channel.in == SPORK__NO_HANDLE && c->channel.out == SPORK__NO_HANDLE)
        return spork__fail(SPORK_BAD_STATE, "it was closed when a message could only be sent in part");
    return SPORK_OK;
}

static spork_status give(spork__object *object, unsigned flags, spork__parcel *parcel)
{
    spork_connection *c = of(object);
    const spork__channel *channel = &c->channel;
    spork_status status = settle(c);
    if (status != SPORK_OK) return status;
    description about = {.pair = c->pair,
                         .side = c->side,
                         .receives = channel->in != SPORK__NO_HANDLE,
                         .sends = channel->out != SPORK__NO_HANDLE,
                         .objects = c->objects};
    parcel->handles[0] = about.receives ? channel->in : channel->out;
    parcel->handle_count = 1;
    memcpy(parcel->bytes, &about, sizeof about);
    parcel->size = sizeof about;
    if (!(flags & SPORK__FLAG_MOVE)) atomic_store(&c->copied, true);
    return SPORK_OK;
}

static spork_status take(const spork__kind *kind, const spork__parcel *parcel, spork__object **object)
{
    description about;
    (void)kind;
    if (parcel->size != sizeof about || parcel->handle_count != 1)
        return spork__fail(SPORK_BAD_MESSAGE, "a damaged connection");
    memcpy(&about, parcel->bytes, sizeof about);
    spork__channel channel = SPORK__NO_CHANNEL;
    if (about.receives) channel.in = parcel->handles[0];
    if (about.sends) channel.out = parcel->handles[0];
    if (channel.in == SPORK__NO_HANDLE && channel.out == SPORK__NO_HANDLE)
        return spork__fail(SPORK_BAD_MESSAGE, "a damaged connection");
    spork_status status = spork__os_channel_adopt(&channel);
    if (status != SPORK_OK) return status;
    spork_connection *c = new_connection(&channel, about.pair, about.side, about.objects != 0);
    if (c == NULL) return SPORK_NO_MEMORY;
    c->look_for_mate = true;
    atomic_store(&c->copied, true); /* who gave it may have kept it */
    *object = &c->object;
    return SPORK_OK;
}

static void abandon(spork__object *object, bool close)
{
    spork_connection *c = of(object);
    for (size_t i = 0; i < c->message.handle_count; i++) spork__os_handle_close(c->message.handles[i]);
    c->message.handle_count = 0;
    if (close) spork__os_channel_close(&c->channel);
}

static void release(spork__object *object) { spork_connection_free(of(object)); }

static void hang_up(spork__object *object)
{
    spork_connection *c = of(object);
    atomic_store(&c->hung_up, true);
    spork__os_channel_hang_up(&c->channel, !atomic_load(&c->copied));
}

const spork__kind spork__connection_kind = {
    SPORK__KIND_CONNECTION, "connection", give, NULL, take, abandon, release, hang_up};

/* Under the lock that keeps forks away: a child must find every descriptor on the list of objects. */
static spork_status make(bool duplex, spork_connection *made[2])
{
    spork__channel ends[2];
    uint64_t pair = spork__os_nonce();
    made[0] = made[1] = NULL;
    spork__kind_add(&spork__connection_kind);
    spork__os_lock(SPORK__LOCK_START);
    spork_status status = spork__os_channel_new(duplex, ends);
    for (int i = 0; i < 2 && status == SPORK_OK; i++) {
        made[i] = new_connection(&ends[i], pair, i, duplex);
        if (made[i] == NULL) {
            status = SPORK_NO_MEMORY;
            for (int k = i; k < 2; k++) spork__os_channel_close(&ends[k]);
        } else
            made[i]->look_for_mate = true;
    }
    spork__os_unlock(SPORK__LOCK_START);
    if (status == SPORK_OK) return SPORK_OK;
    spork_connection_free(made[0]);
    made[0] = NULL;
    return status;
}

spork_status spork_pipe(spork_connection **reader, spork_connection **writer)
{
    spork_connection *made[2];
    if (reader != NULL) *reader = NULL;
    if (writer != NULL) *writer = NULL;
    if (reader == NULL || writer == NULL) return spork__fail(SPORK_INVALID, "spork_pipe: where to?");
    spork_status status = make(false, made);
    *reader = made[0];
    *writer = made[1];
    return spork__in_call(status, "spork_pipe");
}

spork_status spork_pipe_duplex(spork_connection **a, spork_connection **b)
{
    spork_connection *made[2];
    if (a != NULL) *a = NULL;
    if (b != NULL) *b = NULL;
    if (a == NULL || b == NULL) return spork__fail(SPORK_INVALID, "spork_pipe_duplex: where to?");
    spork_status status = make(true, made);
    *a = made[0];
    *b = made[1];
    return spork__in_call(status, "spork_pipe_duplex");
}

/* Others may have it, of whom this process knows nothing. */
static spork_status make_from(spork_native native, int directions, spork_connection **made)
{
    spork__channel channel;
    bool objects = false;
    spork_connection *c = spork__alloc(sizeof *c, "a connection");
    if (c == NULL) return SPORK_NO_MEMORY;
    spork_status status = spork__os_channel_of(native, directions, &channel, &objects);
    if (status != SPORK_OK) {
        spork__free(c);
        return status;
    }
    atomic_store(&c->copied, true);
    begin(c, &channel, spork__os_nonce(), 0, objects);
    *made = c;
    return SPORK_OK;
}

spork_connection *spork_connection_from(spork_native native, int directions)
{
    static const char call[] = "spork_connection_from";
    spork_connection *made = NULL;
    if (directions == 0 || directions & ~(SPORK_READ | SPORK_WRITE)) {
        spork__fail(SPORK_INVALID, "%s: %d are no directions: SPORK_READ, SPORK_WRITE or both",
                    call, directions);
        return NULL;
    }
    spork__kind_add(&spork__connection_kind);
    spork__os_lock(SPORK__LOCK_START);
    spork__in_call(make_from(native, directions, &made), call);
    spork__os_unlock(SPORK__LOCK_START);
    return made;
}

spork_native spork_connection_handle(const spork_connection *c)
{
    if (spork__object_check(c == NULL ? NULL : &c->object, &spork__connection_kind,
                            "spork_connection_handle") != SPORK_OK)
        return SPORK__NO_HANDLE;
    return c->channel.in != SPORK__NO_HANDLE ? c->channel.in : c->channel.out;
}

void spork_connection_free(spork_connection *c)
{
    if (!spork__object_freeable(c == NULL ? NULL : &c->object, &spork__connection_kind, "spork_connection_free"))
        return;
    spork__os_lock(SPORK__LOCK_START);
    spork__object_untrack(&c->object);
    if (!c->object.not_shared) spork__os_channel_close(&c->channel);
    spork__message_drop(&c->message);
    spork__os_unlock(SPORK__LOCK_START);
    spork__object_free(&c->object);
}

spork_native spork_connection_detach(spork_connection *c)
{
    if (spork__object_check(c == NULL ? NULL : &c->object, &spork__connection_kind, "spork_connection_detach") !=
        SPORK_OK)
        return SPORK__NO_HANDLE;
    if (spork__in_call(settle(c), "spork_connection_detach") != SPORK_OK) return SPORK__NO_HANDLE;
    spork__os_channel_plain(&c->channel);
    spork__os_lock(SPORK__LOCK_START); /* nothing is hung up that is the caller's already */
    spork_native handle = c->channel.in != SPORK__NO_HANDLE ? c->channel.in : c->channel.out;
    c->channel.in = c->channel.out = SPORK__NO_HANDLE;
    spork__os_unlock(SPORK__LOCK_START);
    spork_connection_free(c);
    return handle;
}

/* ---- the end of this process ---- */

/* A thread that is not the one by which the program ends stays here: it must not be told of an end
 * that is none, and end the program by what it does then. */
static spork_status given_up(const char *call)
{
    if (!spork__ends_here()) spork__os_sleep(SPORK_FOREVER);
    return spork__fail(SPORK_CLOSED, "%s: this process is ending, and has given this end up", call);
}

static spork_status in_call(const spork_connection *c, spork_status status, const char *call)
{
    if (status != SPORK_OK && atomic_load(&c->hung_up)) return given_up(call);
    return spork__in_call(status, call);
}

/* ---- sending ---- */

static spork_status check(const spork_connection *c, bool receives, const char *call)
{
    spork_status status = spork__object_check(c == NULL ? NULL : &c->object, &spork__connection_kind, call);
    if (status != SPORK_OK) return status;
    if (atomic_load_explicit(&c->hung_up, memory_order_relaxed)) return given_up(call);
    if (!(receives ? c->receives : c->sends)) /* a handle may be gone, and the call says why */
        return spork__fail(SPORK_INVALID, "%s: this end only %s", call, receives ? "sends" : "receives");
    return SPORK_OK;
}

static spork_status send_message(spork_connection *c, const void *data, size_t size, const spork_native *handles,
                                 size_t handle_count, int timeout_ms)
{
    if (c->send_broken)
        return spork__fail(SPORK_BROKEN, "an earlier message could only be sent in part: this end sends no more");
    spork_status status = spork__os_channel_send(&c->channel, data, size, handles, handle_count, timeout_ms);
    if (status == SPORK_BROKEN) c->send_broken = true;
    return status;
}

spork_status spork_connection_send_bytes(spork_connection *c, const void *data, size_t size, int timeout_ms)
{
    static const char call[] = "spork_connection_send_bytes";
    spork_status status = spork__timed(check(c, false, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    if (data == NULL && size > 0) return spork__fail(SPORK_INVALID, "%s: NULL, but %zu bytes", call, size);
    status = send_message(c, data, size, NULL, 0, timeout_ms);
    return in_call(c, status, call);
}

static spork_status send_values(spork_connection *c, const spork_args *values, const spork__parcels *parcels,
                                const spork_native *handles, size_t handle_count, int timeout_ms)
{
    spork__encoded message;
    spork_status status = spork__values_encode_new(values, parcels, &message);
    if (status != SPORK_OK) return status;
    status = send_message(c, message.data, message.size, handles, handle_count, timeout_ms);
    spork__encoded_free(&message);
    return status;
}

static spork_status send_objects(spork_connection *c, const spork_args *values, int timeout_ms)
{
    if (!c->receives)
        return spork__fail(SPORK_UNSUPPORTED, "objects travel over a duplex connection only: use spork_pipe_duplex");
    if (!c->objects)
        return spork__fail(
            SPORK_UNSUPPORTED,
            "objects travel within this machine only, and this is a socket of a network's");
    spork_native handles[SPORK__MESSAGE_HANDLES];
    size_t count;
    spork__parcels *parcels = spork__alloc(sizeof *parcels, "objects in a message");
    if (parcels == NULL) return SPORK_NO_MEMORY;
    spork_status status = spork__objects_give(values, parcels, &count);
    if (status == SPORK_OK) {
        spork__objects_send_off(values, parcels);
        spork__objects_handles(values, parcels, handles);
        status = send_values(c, values, parcels, handles, count, timeout_ms);
        spork__objects_sent(values, parcels, status == SPORK_OK);
    }
    spork__free(parcels);
    if (status == SPORK_OK) spork__objects_moved(values);
    return status;
}

spork_status spork_connection_send(spork_connection *c, spork_args values, int timeout_ms)
{
    static const char call[] = "spork_connection_send";
    spork_status status = spork__timed(check(c, false, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    status = spork__objects_first(&values) != 0 ? send_objects(c, &values, timeout_ms)
                                                : send_values(c, &values, NULL, NULL, 0, timeout_ms);
    return in_call(c, status, call);
}

/* ---- receiving ---- */

static bool is_mate(const spork__object *object, const void *user)
{
    const spork_connection *c = user, *other = (const spork_connection *)object;
    return other->pair == c->pair && other->side != c->side && !object->not_shared && other->sends;
}

/* Nothing is there, and the end cannot come as long as this process itself could still send. */
static void warn_of_mate(spork_connection *c)
{
    c->look_for_mate = false;
    if (!spork__object_any(&spork__connection_kind, is_mate, c)) return;
    spork__log(SPORK_LOG_WARNING,
               "receiving from a connection whose other end this process has, too: its end will not be seen; free that "
               "end, or pass it on by spork_move");
}

/* What has come of a message stays for the next call. */
static spork_status keep_what_came(spork__message *m)
{
    spork_status status = spork__message_take_back(m);
    if (status == SPORK_OK) return SPORK_OK;
    spork__message_drop(m); /* nowhere to keep it: the rest would be no message */
    m->ended = true;
    return status;
}

/* A cancelled thread has received nothing. */
static void leave_the_wait(void *user) { keep_what_came(user); }

static spork_status receive(spork_connection *c, int timeout_ms)
{
    const spork__cleanup cleanup = {leave_the_wait, &c->message, NULL};
    if (c->message.whole) return SPORK_OK;
    if (c->message.ended) return spork__fail(SPORK_CLOSED, "no more will come");
    if (c->look_for_mate && timeout_ms != 0) {
        spork_status status = spork__os_channel_receive(&c->channel, &c->message, 0);
        if (status != SPORK_TIMEOUT) return status;
        warn_of_mate(c);
    }
    if (timeout_ms != 0) spork__os_cancel_allow(&cleanup);
    spork_status status = spork__os_channel_receive(&c->channel, &c->message, timeout_ms);
    spork__os_cancel_forbid();
    return status;
}

static spork_status too_small(spork__message *m, size_t size, size_t *received)
{
    if (received != NULL) *received = m->size < SIZE_MAX ? (size_t)m->size : SIZE_MAX;
    return spork__fail(SPORK_TOO_SMALL, "the message has %llu bytes, the buffer %zu; it is still there to be received",
                       (unsigned long long)m->size, size);
}

static spork_status receive_bytes(spork_connection *c, void *buffer, size_t size, size_t *received, int timeout_ms)
{
    spork__message *m = &c->message;
    if (m->data == NULL && !m->whole) spork__message_lend(m, buffer, size);
    spork_status status = receive(c, timeout_ms);
    bool in_place = m->lent;
    if (status != SPORK_OK) {
        spork_status kept = keep_what_came(m);
        if (kept != SPORK_OK) return kept;
        return status == SPORK_TOO_SMALL ? too_small(m, size, received) : status;
    }
    c->refused = false;
    if (!in_place && m->size > size) return too_small(m, size, received);
    if (!in_place) spork__copy(buffer, m->data, m->have);
    if (received != NULL) *received = m->have;
    spork__message_drop(m);
    return SPORK_OK;
}

spork_status spork_connection_recv_bytes(spork_connection *c, void *buffer, size_t size, size_t *received,
                                         int timeout_ms)
{
    static const char call[] = "spork_connection_recv_bytes";
    if (received != NULL) *received = 0;
    spork_status status = spork__timed(check(c, true, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    if (buffer == NULL && size > 0) return spork__fail(SPORK_INVALID, "%s: NULL, but %zu bytes", call, size);
    status = receive_bytes(c, buffer, size, received, timeout_ms);
    return in_call(c, status, call);
}

/* What is no pack of values stays for who receives bytes. Told a second time it goes: whoever receives
 * only values until the end would never come there. */
static void refuse(spork_connection *c)
{
    if (c->refused) spork__message_drop(&c->message);
    c->refused = !c->refused;
}

static spork_status receive_values(spork_connection *c, spork_args **values, int timeout_ms)
{
    spork__message *m = &c->message;
    size_t begin, handle_count = 0;
    spork_args args;
    int64_t handles[SPORK__MESSAGE_HANDLES];
    spork_status status = receive(c, timeout_ms);
    if (status == SPORK_OK) status = spork__message_reserve(m, m->have); /* a message of no bytes has no room yet */
    if (status == SPORK_OK) status = spork__os_channel_unwrap(m, &begin);
    if (status == SPORK_OK) status = spork__values_decode_with(m->data + begin, m->have - begin, &args, true);
    if (status == SPORK_OK && spork__objects_wanted(&args) != m->handle_count)
        status = spork__fail(SPORK_BAD_MESSAGE, "a message with %zu handles, whose objects have %zu", m->handle_count,
                             spork__objects_wanted(&args));
    if (status == SPORK_BAD_MESSAGE && m->whole) refuse(c);
    if (status != SPORK_OK) return status;
    c->refused = false;
    /* From here on the message is taken: objects that cannot be made would be no better the next time. Its handles stay on its list until
     * the objects have them: another thread's fork would find them there, and close them in the child. */
    for (; handle_count < m->handle_count; handle_count++) handles[handle_count] = m->handles[handle_count];
    status = spork__objects_take(&args, handles, handle_count);
    m->handle_count = 0;
    if (status != SPORK_OK) {
        spork__message_drop(m);
        return status;
    }
    *values = spork__message_release(m);
    **values = args;
    return SPORK_OK;
}

spork_status spork_connection_recv(spork_connection *c, spork_args **values, int timeout_ms)
{
    static const char call[] = "spork_connection_recv";
    if (values == NULL) return spork__fail(SPORK_INVALID, "%s: where to?", call);
    *values = NULL;
    spork_status status = spork__timed(check(c, true, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    status = receive_values(c, values, timeout_ms);
    return in_call(c, status, call);
}

spork_status spork_connection_poll(spork_connection *c, int timeout_ms)
{
    static const char call[] = "spork_connection_poll";
    spork_status status = spork__timed(check(c, true, call), timeout_ms, call);
    if (status != SPORK_OK) return status;
    if (!c->message.whole && !c->message.ended) {
        if (timeout_ms != 0) spork__os_cancel_allow(NULL);
        status = spork__os_channel_poll(&c->channel, &c->message, timeout_ms);
        spork__os_cancel_forbid();
    }
    if (status == SPORK_TIMEOUT) return spork__fail(SPORK_TIMEOUT, "%s: nothing came in %d ms", call, timeout_ms);
    return in_call(c, status, call);
}

/* ---- waiting ---- */

static spork_status check_wait(const spork_wait_item *item, const char *call)
{
    spork_connection *c = item->object;
    spork_status status = spork__object_check(&c->object, &spork__connection_kind, call);
    if (status == SPORK_OK && item->events & SPORK_READ) status = check(c, true, call);
    if (status == SPORK_OK && item->events & SPORK_WRITE) status = check(c, false, call);
    return status;
}

static bool is_ready(const spork_wait_item *item, bool ask)
{
    spork_connection *c = item->object;
    (void)ask;
    if (item->events & SPORK_READ && (c->message.whole || c->message.ended)) return true;
    return (item->events & SPORK_READ && spork__os_channel_ready(&c->channel, &c->message, false)) ||
           (item->events & SPORK_WRITE && (c->send_broken || spork__os_channel_ready(&c->channel, &c->message, true)));
}

static spork_native handle_of(const spork_wait_item *item, bool writing)
{
    spork_connection *c = item->object;
    return spork__os_channel_handle(&c->channel, &c->message, writing);
}

/* A read that was begun would take what another holder of this end receives. */
static void leave(const spork_wait_item *item)
{
    spork_connection *c = item->object;
    if (item->events & SPORK_READ) spork__os_channel_settle(&c->channel, &c->message);
}

const spork__waitable spork__connection_waitable = {
    .kind = SPORK__KIND_CONNECTION, .check = check_wait, .ready = is_ready, .handle = handle_of, .leave = leave};
