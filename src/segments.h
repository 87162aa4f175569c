/* Segments: a ring's memory, in equal parts, which come from the system when they are first needed
 * and go back when they are not needed any more. A ring counts its places on and on; which segment
 * is behind a place is looked up in a table. So a ring may be made for a thousand times what is
 * usually in it, and needs memory, and cache, for that only: the lowest segments are used again and
 * again.
 *
 * A ring of one segment is the plain case: it is there from the start, and a place is where it is.
 *
 * Whoever calls anything but place, has and hold_more has the ring's putting lock. */
#ifndef SPORK_SEGMENTS_H
#define SPORK_SEGMENTS_H

#include "platform.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SPORK__SEGMENTS = 512 };

/* The shared part: in the block's first, committed bytes; zeroed it is right. */
typedef struct spork__segment_table spork__segment_table;

/* A process' view. Of places, and of units of 8 bytes. */
typedef struct spork__segments {
    const spork__block *block;
    spork__segment_table *table;
    size_t offset;   /* of the segments in the block */
    uint32_t shift;  /* a segment has 1 << shift units */
    uint32_t count;  /* of segments */
    uint32_t places; /* that the table tells apart, a power of two: as many, or more */
    /* Atomic: a segment << 48 | so many units of it this process has seen to have memory. */
    uint64_t checked[2];
} spork__segments;

/* How many segments of which size hold `size` bytes of records, of which each leaves up to a
 * quarter of a segment unused: the members `shift`, `count` and `places`. */
void spork__segments_plan(spork__segments *segments, size_t size);
size_t spork__segments_table_size(void); /* aligned to 128 */
/* Of all of them, and of what is to be committed at the start. */
size_t spork__segments_size(const spork__segments *segments);
size_t spork__segments_at_start(const spork__segments *segments);
void spork__segments_begin(const spork__segments *segments);

/* A place is the first of its segment: chooses one behind it, that none of those from `oldest` to
 * here uses. SPORK_BAD_MESSAGE: there is none, so something is damaged. */
spork_status spork__segments_enter(spork__segments *segments, uint64_t place, uint64_t oldest);
/* Sees to it that so many units from there on have memory. SPORK_NO_SPACE. */
spork_status spork__segments_back(spork__segments *segments, uint64_t place, uint64_t units);
/* Whether they have it. */
bool spork__segments_is_backed(spork__segments *segments, uint64_t place, uint64_t units);
/* Gives back what none of the places from `oldest` to `place` needs, but for the first few MiB,
 * which a ring soon needs again. `idle`: there is nothing in the ring, so its last segment need not
 * be whole either. Not more than a moment takes: whether it was anything. */
bool spork__segments_trim(spork__segments *segments, uint64_t place, uint64_t oldest, bool idle);
/* Whether there seems to be anything to give back when the ring is idle. */
bool spork__segments_hold_more(const spork__segments *segments);

#ifndef __cplusplus

#include <stdatomic.h>

struct spork__segment_table {
    _Alignas(128) _Atomic uint32_t behind[SPORK__SEGMENTS]; /* a place: which segment */
    /* Of each segment: which of it has memory (segments.c). */
    _Alignas(128) _Atomic uint64_t backed[SPORK__SEGMENTS];
    _Atomic uint32_t used; /* none from this one on has any */
};

/* The segment behind a place. The word may be damaged: it is one of ours in any case. */
static inline uint32_t spork__segment_of(const spork__segments *s, uint64_t place)
{
    uint32_t at = (uint32_t)(place >> s->shift) & (s->places - 1);
    uint32_t segment = atomic_load_explicit(&s->table->behind[at], memory_order_relaxed);
    return segment < s->count ? segment : 0;
}

static inline uint64_t spork__segment_offset(const spork__segments *s, uint64_t place)
{
    return place & ((UINT64_C(1) << s->shift) - 1);
}

static inline void *spork__segments_place(const spork__segments *s, uint64_t place)
{
    uint64_t unit = spork__segment_offset(s, place);
    if (s->count > 1) unit |= (uint64_t)spork__segment_of(s, place) << s->shift;
    return (unsigned char *)s->block->data + s->offset + unit * 8;
}

bool spork__segments_look(spork__segments *segments, uint64_t place, uint64_t units, bool putting);

/* Whether these may be touched: false only where something is damaged. */
static inline bool spork__segments_has(spork__segments *s, uint64_t place, uint64_t units,
                                       bool putting)
{
    if (s->count == 1) return true;
    const _Atomic uint64_t *word = (const _Atomic uint64_t *)&s->checked[putting];
    uint64_t checked = atomic_load_explicit(word, memory_order_relaxed);
    uint64_t end = spork__segment_offset(s, place) + units;
    if (checked >> 48 == spork__segment_of(s, place) && (checked & UINT64_C(0xFFFFFFFFFFFF)) >= end)
        return true;
    return spork__segments_look(s, place, units, putting);
}

#endif

#ifdef __cplusplus
}
#endif
#endif
