/* Shared memory for users: a block of the platform's. A named one begins with a page that says what it is. */
#include "shm.h"

#include <stdatomic.h>
#include <string.h>

#include "alloc.h"
#include "deadline.h"
#include "error.h"
#include "platform.h"

enum { MAGIC = 0x4D485353 /* "SSHM" */, LAYOUT = 1, HEAD = 4096, LONGEST_NAME = 64, PATIENCE_MS = 1000 };

typedef struct head {
    uint32_t magic, layout;
    uint64_t size;
    char name[LONGEST_NAME + 1];
} head;

struct spork_shm {
    spork__object object;
    spork__block block;
    size_t offset, size; /* of the user's bytes */
    spork__claim claim;
};

/* What a process is told beside the handle. */
typedef struct description {
    uint64_t size, offset;
} description;

static spork_shm *of(spork__object *object) { return (spork_shm *)object; }

static spork_shm *new_view(void)
{
    spork_shm *m = spork__alloc(sizeof *m, "a shm");
    if (m == NULL) return NULL;
    m->block.handle = SPORK__NO_HANDLE;
    m->claim = SPORK__NO_CLAIM;
    return m;
}

/* Under SPORK__LOCK_START; makes `m` known if all went well, else frees it. */
static spork_shm *settle(spork_shm *m, spork_status status, const char *call, const char *name)
{
    if (status == SPORK_OK) {
        spork__object_track(&m->object, &spork__shm_kind);
        return m;
    }
    spork__os_named_retract(&m->claim);
    spork__os_block_free(&m->block);
    spork__free(m);
    if (name == NULL)
        spork__fail_in(status, "%s", call);
    else
        spork__fail_in(status, "%s(%s)", call, name);
    return NULL;
}

static spork_status check_size(size_t size)
{
    if (size == 0) return spork__fail(SPORK_INVALID, "no bytes");
    if (size > (SIZE_MAX > UINT32_MAX ? ((size_t)1 << 23) << 23 : SIZE_MAX / 2))
        return spork__fail(SPORK_NO_SPACE, "%zu bytes are more than there are addresses", size);
    return SPORK_OK;
}

/* What the system calls no memory is here no room for the block. */
static spork_status of_space(spork_status status)
{
    return status == SPORK_NO_MEMORY ? spork__fail_in(SPORK_NO_SPACE, "no room") : status;
}

spork_shm *spork_shm_new(size_t size)
{
    static const char call[] = "spork_shm_new";
    spork__kind_add(&spork__shm_kind);
    spork_shm *m = new_view();
    if (m == NULL) return NULL;
    spork__os_lock(SPORK__LOCK_START);
    spork_status status = check_size(size);
    if (status == SPORK_OK) status = of_space(spork__os_block_new(&m->block, size));
    m->size = size;
    m = settle(m, status, call, NULL);
    spork__os_unlock(SPORK__LOCK_START);
    return m;
}

/* ---- names ---- */

static bool is_fit(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           (c == '.' && !first);
}

static spork_status check_name(const char *name, const char *call)
{
    if (name == NULL) return spork__fail(SPORK_INVALID, "%s: the name is NULL", call);
    size_t length = strlen(name);
    bool fit = length > 0 && length <= LONGEST_NAME;
    for (size_t i = 0; i < length && fit; i++) fit = is_fit(name[i], i == 0);
    if (fit) return SPORK_OK;
    return spork__fail(SPORK_INVALID,
                       "%s: \"%.80s\" is no name: 1 to %d letters, digits, '.', '_' and '-', the first one no '.'",
                       call, name, LONGEST_NAME);
}

spork_shm *spork_shm_create(const char *name, size_t size, spork_lifetime lifetime)
{
    static const char call[] = "spork_shm_create";
    head h;
    if (check_name(name, call) != SPORK_OK) return NULL;
    if (lifetime != SPORK_CREATOR && lifetime != SPORK_MANUAL) {
        spork__fail(SPORK_INVALID, "%s(%s): %d is no lifetime: SPORK_CREATOR or SPORK_MANUAL", call, name,
                    (int)lifetime);
        return NULL;
    }
    memset(&h, 0, sizeof h);
    h.magic = MAGIC;
    h.layout = LAYOUT;
    h.size = size;
    strcpy(h.name, name); /* it fits: see check_name */
    spork__kind_add(&spork__shm_kind);
    spork_shm *m = new_view();
    if (m == NULL) return NULL;
    spork__os_lock(SPORK__LOCK_START);
    spork_status status = check_size(size);
    if (status == SPORK_OK)
        status = of_space(
            spork__os_named_new(&m->block, size + HEAD, name, lifetime == SPORK_MANUAL, &h, sizeof h, &m->claim));
    m->offset = HEAD;
    m->size = size;
    m = settle(m, status, call, name);
    spork__os_unlock(SPORK__LOCK_START);
    return m;
}

/* Windows: whoever makes it may be about to write the head; or has died before, and then there is none. */
static spork_status read_head(spork_shm *m, const char *name)
{
    spork__deadline d = {.timeout_ms = PATIENCE_MS};
    const _Atomic uint32_t *magic = m->block.data;
    if (m->block.size < HEAD) return spork__fail(SPORK_BAD_MESSAGE, "it is no shared memory of Spork's");
    while (atomic_load_explicit(magic, memory_order_acquire) == 0 && spork__deadline_left(&d) > 0) spork__os_sleep(1);
    const head *h = m->block.data;
    if (h->magic == 0) return spork__fail(SPORK_BAD_MESSAGE, "it was never finished, or is damaged");
    if (h->magic != MAGIC || h->layout != LAYOUT || strncmp(h->name, name, sizeof h->name) != 0 || h->size == 0 ||
        h->size > m->block.size - HEAD)
        return spork__fail(SPORK_BAD_MESSAGE, "it was not made by this version of Spork, or is damaged");
    m->offset = HEAD;
    m->size = (size_t)h->size;
    return SPORK_OK;
}

spork_shm *spork_shm_open(const char *name)
{
    static const char call[] = "spork_shm_open";
    if (check_name(name, call) != SPORK_OK) return NULL;
    spork__kind_add(&spork__shm_kind);
    spork_shm *m = new_view();
    if (m == NULL) return NULL;
    spork__os_lock(SPORK__LOCK_START);
    spork_status status = spork__os_named_open(&m->block, name);
    if (status == SPORK_OK) status = read_head(m, name);
    m = settle(m, status, call, name);
    spork__os_unlock(SPORK__LOCK_START);
    return m;
}

spork_status spork_shm_remove(const char *name)
{
    static const char call[] = "spork_shm_remove";
    spork_status status = check_name(name, call);
    if (status != SPORK_OK) return status;
    spork__os_lock(SPORK__LOCK_START);
    status = spork__os_named_remove(name);
    spork__os_unlock(SPORK__LOCK_START);
    return spork__in_call(status, call);
}

/* ---- giving and taking ---- */

static spork_status give(spork__object *object, unsigned flags, spork__parcel *parcel)
{
    const spork_shm *m = of(object);
    description about = {m->size, m->offset};
    (void)flags;
    parcel->handles[0] = m->block.handle;
    parcel->handle_count = 1;
    memcpy(parcel->bytes, &about, sizeof about);
    parcel->size = sizeof about;
    return SPORK_OK;
}

static spork_status take(const spork__kind *kind, const spork__parcel *parcel, spork__object **object)
{
    description about;
    (void)kind;
    if (parcel->size != sizeof about || parcel->handle_count != 1)
        return spork__fail(SPORK_BAD_MESSAGE, "a damaged shm");
    memcpy(&about, parcel->bytes, sizeof about);
    if (about.size == 0 || about.offset > HEAD || about.size > SIZE_MAX - about.offset)
        return spork__fail(SPORK_BAD_MESSAGE, "a damaged shm");
    spork_shm *m = new_view();
    if (m == NULL) return SPORK_NO_MEMORY;
    spork_status status = spork__os_block_open(&m->block, parcel->handles[0], (size_t)(about.size + about.offset));
    if (status != SPORK_OK) {
        spork__free(m);
        return status;
    }
    m->size = (size_t)about.size;
    m->offset = (size_t)about.offset;
    spork__object_track(&m->object, &spork__shm_kind);
    *object = &m->object;
    return SPORK_OK;
}

static void abandon(spork__object *object, bool close)
{
    spork__os_named_abandon(&of(object)->claim);
    spork__os_block_abandon(&of(object)->block, close);
}

static void release(spork__object *object) { spork_shm_free(of(object)); }

const spork__kind spork__shm_kind = {SPORK__KIND_SHM, "shm",   give, NULL, take,
                                     abandon,         release, NULL};

static void forget_name(spork__object *object, void *user)
{
    (void)user;
    if (object->kind == &spork__shm_kind) spork__os_named_abandon(&of(object)->claim);
}

void spork__shm_forked(void) { spork__object_each(forget_name, NULL, true); }

/* ---- the user's side ---- */

static const spork__object *object_of(const spork_shm *m) { return m == NULL ? NULL : &m->object; }

void *spork_shm_data(const spork_shm *m)
{
    if (spork__object_check(object_of(m), &spork__shm_kind, "spork_shm_data") != SPORK_OK) return NULL;
    return (char *)m->block.data + m->offset;
}

size_t spork_shm_size(const spork_shm *m)
{
    return spork__object_check(object_of(m), &spork__shm_kind, "spork_shm_size") == SPORK_OK ? m->size : 0;
}

void spork_shm_free(spork_shm *m)
{
    if (!spork__object_freeable(object_of(m), &spork__shm_kind, "spork_shm_free")) return;
    spork__os_lock(SPORK__LOCK_START);
    spork__object_untrack(&m->object);
    if (!m->object.not_shared) {
        spork__os_named_retract(&m->claim);
        spork__os_block_free(&m->block);
    }
    spork__os_unlock(SPORK__LOCK_START);
    spork__object_free(&m->object);
}
