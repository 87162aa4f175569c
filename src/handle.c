/* What a death leaves behind: nothing. The system closes the copies of whoever dies, and those of a
 * message that nobody receives. */
#include "handle.h"

#include "alloc.h"
#include "error.h"
#include "platform.h"

struct spork_handle {
    spork__object object;
    spork_native native;
};

static spork_handle *of(spork__object *object) { return (spork_handle *)object; }
static const spork__object *object_of(const spork_handle *h)
{
    return h == NULL ? NULL : &h->object;
}

/* Owns `native`; on failure it is still the caller's. */
static spork_handle *new_handle(spork_native native)
{
    spork_handle *h = spork__alloc(sizeof *h, "a handle");
    if (h == NULL) return NULL;
    h->native = native;
    spork__object_track(&h->object, &spork__handle_kind);
    return h;
}

/* ---- giving and taking ---- */

static spork_status give(spork__object *object, unsigned flags, spork__parcel *parcel)
{
    (void)flags;
    parcel->handles[0] = of(object)->native;
    parcel->handle_count = 1;
    return SPORK_OK;
}

static spork_status take(const spork__kind *kind, const spork__parcel *parcel,
                         spork__object **object)
{
    (void)kind;
    if (parcel->size != 0 || parcel->handle_count != 1)
        return spork__fail(SPORK_BAD_MESSAGE, "a damaged handle");
    spork_handle *h = new_handle(parcel->handles[0]);
    if (h == NULL) return SPORK_NO_MEMORY;
    *object = &h->object;
    return SPORK_OK;
}

static void abandon(spork__object *object, bool close)
{
    if (close) spork__os_handle_close(of(object)->native);
    of(object)->native = SPORK__NO_HANDLE;
}

static void release(spork__object *object) { spork_handle_free(of(object)); }

const spork__kind spork__handle_kind = {
    SPORK__KIND_HANDLE, "handle", give, NULL, take, abandon, release, NULL};

/* ---- the user's side ---- */

/* Under the lock that keeps forks away: a child finds every descriptor on the list of objects. */
static spork_status copy_of(spork_native native, spork_handle **made)
{
    spork_native copy;
    spork_status status = spork__os_check_handle(native);
    if (status != SPORK_OK) return status;
    spork__os_lock(SPORK__LOCK_START);
    status = spork__os_handle_copy(native, &copy);
    if (status == SPORK_OK && (*made = new_handle(copy)) == NULL) {
        spork__os_handle_close(copy);
        status = SPORK_NO_MEMORY;
    }
    spork__os_unlock(SPORK__LOCK_START);
    return status;
}

spork_handle *spork_handle_new(spork_native native)
{
    spork_handle *made = NULL;
    spork__kind_add(&spork__handle_kind);
    spork__in_call(copy_of(native, &made), "spork_handle_new");
    return made;
}

spork_native spork_handle_native(const spork_handle *h)
{
    return spork__object_check(object_of(h), &spork__handle_kind, "spork_handle_native") == SPORK_OK
               ? h->native
               : SPORK__NO_HANDLE;
}

spork_native spork_handle_detach(spork_handle *h)
{
    if (spork__object_check(object_of(h), &spork__handle_kind, "spork_handle_detach") != SPORK_OK)
        return SPORK__NO_HANDLE;
    /* No fork finds it the caller's and, in the child, still on the list. */
    spork__os_lock(SPORK__LOCK_START);
    spork_native native = h->native;
    h->native = SPORK__NO_HANDLE;
    spork__os_unlock(SPORK__LOCK_START);
    spork_handle_free(h);
    return native;
}

void spork_handle_free(spork_handle *h)
{
    if (!spork__object_freeable(object_of(h), &spork__handle_kind, "spork_handle_free")) return;
    spork__os_lock(SPORK__LOCK_START);
    spork__object_untrack(&h->object);
    spork__os_handle_close(h->native);
    spork__os_unlock(SPORK__LOCK_START);
    spork__object_free(&h->object);
}
