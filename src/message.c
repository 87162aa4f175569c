#include "message.h"

#include <string.h>

#include "alloc.h"
#include "copy.h"
#include "error.h"
#include "platform.h"

/* Up to here a length is believed: that much memory is only asked for, and not touched before bytes come. */
enum { BELIEVED = 64 << 20 };

static size_t before(void) { return (sizeof(spork_args) + 15) / 16 * 16; }

void spork__message_begin(spork__message *m)
{
    memset(m, 0, offsetof(spork__message, handles)); /* the rest needs its count only */
    m->handle_count = 0;
}

void spork__message_lend(spork__message *m, void *buffer, size_t size)
{
    m->data = buffer;
    m->room = size;
    m->lent = true;
}

spork_status spork__message_reserve(spork__message *m, size_t room)
{
    if (!m->lent && m->data != NULL && m->room >= room) return SPORK_OK;
    unsigned char *base = room < SIZE_MAX - before() ? spork__alloc(before() + room, "a message") : NULL;
    if (base == NULL) return spork__fail(SPORK_NO_MEMORY, "no memory for a message of %zu bytes", room);
    spork__copy(base + before(), m->data, m->have);
    if (!m->lent && m->data != NULL) spork__free(m->data - before());
    m->data = base + before();
    m->room = room;
    m->lent = false;
    return SPORK_OK;
}

spork_status spork__message_take_back(spork__message *m)
{
    if (!m->lent) return SPORK_OK;
    if (m->have > 0) return spork__message_reserve(m, m->have);
    m->data = NULL;
    m->room = 0;
    m->lent = false;
    return SPORK_OK;
}

spork_status spork__message_grow(spork__message *m)
{
    uint64_t room = m->have < BELIEVED ? BELIEVED : 2 * (uint64_t)m->have;
    if (room > m->size) room = m->size;
    if (room > SIZE_MAX / 2)
        return spork__fail(SPORK_NO_MEMORY, "no memory for a message of %llu bytes", (unsigned long long)m->size);
    return spork__message_reserve(m, (size_t)room);
}

spork_args *spork__message_args(const spork__message *m) { return (spork_args *)(void *)(m->data - before()); }

static void reset(spork__message *m)
{
    bool ended = m->ended;
    spork__message_begin(m);
    m->ended = ended;
}

spork_args *spork__message_release(spork__message *m)
{
    spork_args *args = spork__message_args(m);
    reset(m);
    return args;
}

void spork__message_drop(spork__message *m)
{
    for (size_t i = 0; i < m->handle_count; i++) spork__os_handle_close(m->handles[i]);
    if (!m->lent && m->data != NULL) spork__free(m->data - before());
    reset(m);
}
