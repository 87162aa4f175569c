/* Places go on in segments of the table, v, v + 1 …, and behind each is one of the memory, the
 * lowest that was free when the putting side came there. Which are free needs no record of its own:
 * all but those behind the places from the getting index to the putting one. So the table is
 * written by the putting side alone, under its lock, and before the index moves; the getting side
 * only reads it.
 *
 * What a death leaves behind, at each point:
 *     entered     a word of the table for a place that the index has not reached: nothing; who puts
 *                 next writes it anew
 *     backed      memory that nobody has counted; the next who needs it asks for it again
 *     trimming    a segment of which it is not known how much memory it has: it is asked for again,
 *                 or given back again, whichever comes first
 *
 * How much memory a segment has is a word, too: up to where, from where on, for the beginning of one
 * may be given back while its end is in use, and whether that is unsure. A wrong word, from others
 * that can write this memory, costs no more than memory on POSIX systems, where a part without any is
 * one that reads as zeros; on Windows it would be the end of who touches it, and is looked at by
 * each process, once for each part. */
#include "segments.h"

#include "error.h"
#include "fault.h"

enum { SMALLEST_RING = 4096, LARGEST_RING = 4 << 20 }; /* of one segment */
enum { SMALLEST_SEGMENT = 1 << 20, MOST_IN_USE = 256 };
/* Memory is counted in pieces. So many are kept, and no more than so many given back at once, since
 * others may wait for the lock. */
enum { PIECE = 1 << 20, KEPT = 4, AT_ONCE = 16 };
enum { KEPT_SEGMENTS = 4, MUCH = 2 }; /* so many more than are in use, and twice that */

static size_t bytes_of(const spork__segments *s) { return (size_t)8 << s->shift; }

static uint32_t shift_for(size_t bytes) /* the next power of two */
{
    uint32_t shift = 0;
    while ((size_t)8 << shift < bytes) shift++;
    return shift;
}

void spork__segments_plan(spork__segments *s, size_t size)
{
    size_t most = spork__os_block_spacious();
    if (size > most) size = most;
    s->count = s->places = 1;
    s->shift = shift_for(size > SMALLEST_RING ? size : SMALLEST_RING);
    if (size <= LARGEST_RING) return;
    size_t part = size / MOST_IN_USE;
    s->shift = shift_for(part > SMALLEST_SEGMENT ? part : SMALLEST_SEGMENT);
    /* What is unused at their ends, the one that is got from, and the one that is put into. */
    s->count = (uint32_t)((size + size / 3) / bytes_of(s)) + 3;
    while (s->places < s->count) s->places *= 2;
}

size_t spork__segments_table_size(void) { return sizeof(spork__segment_table); }
size_t spork__segments_size(const spork__segments *s) { return s->count * bytes_of(s); }
size_t spork__segments_at_start(const spork__segments *s)
{
    return s->count == 1 || bytes_of(s) < PIECE ? bytes_of(s) : PIECE;
}

/* The memory of a segment, in pieces: those from `hole` to `end` have some. */
typedef struct backing {
    uint32_t hole, end;
    bool unsure; /* and perhaps only some of them */
} backing;

/* Never more than there can be, whatever the word says. */
static backing backing_of(const spork__segments *s, uint32_t segment)
{
    uint64_t word = atomic_load_explicit(&s->table->backed[segment], memory_order_relaxed);
    uint32_t most = (uint32_t)(bytes_of(s) / PIECE), end = (uint32_t)word,
             hole = (uint32_t)(word >> 32) & 0x7FFFFFFF;
    backing b = {.end = end < most ? end : most, .unsure = word >> 63 != 0};
    b.hole = hole < b.end ? hole : b.end;
    return b;
}

static void set_backing(const spork__segments *s, uint32_t segment, backing b)
{
    uint64_t word = (uint64_t)b.unsure << 63 | (uint64_t)b.hole << 32 | b.end;
    atomic_store_explicit(&s->table->backed[segment], word, memory_order_relaxed);
}

static uint32_t used(const spork__segments *s)
{
    uint32_t n = atomic_load_explicit(&s->table->used, memory_order_relaxed);
    return n < s->count ? n : s->count;
}

void spork__segments_begin(const spork__segments *s)
{
    set_backing(s, 0, (backing){.end = (uint32_t)(spork__segments_at_start(s) / PIECE)});
    atomic_store_explicit(&s->table->used, 1, memory_order_relaxed);
}

/* ---- memory ---- */

static size_t offset_of(const spork__segments *s, uint32_t segment, uint32_t piece)
{
    return s->offset + segment * bytes_of(s) + (size_t)piece * PIECE;
}

static void discard(const spork__segments *s, uint32_t segment, uint32_t from, uint32_t to)
{
    if (from < to)
        spork__os_block_discard(s->block, offset_of(s, segment, from), (size_t)(to - from) * PIECE);
}

static spork_status get_memory(const spork__segments *s, uint32_t segment, uint32_t from,
                               uint32_t to)
{
    size_t size = (size_t)(to - from) * PIECE;
    spork_status status = spork__os_block_afford(size);
    return status == SPORK_OK ? spork__os_block_commit(s->block, offset_of(s, segment, from), size)
                              : status;
}

static uint32_t pieces(uint64_t units) { return (uint32_t)((units * 8 + PIECE - 1) / PIECE); }

bool spork__segments_is_backed(spork__segments *s, uint64_t place, uint64_t units)
{
    backing b = backing_of(s, spork__segment_of(s, place));
    return !b.unsure && pieces(spork__segment_offset(s, place) + units) <= b.end &&
           spork__segments_has(s, place, units, true);
}

spork_status spork__segments_back(spork__segments *s, uint64_t place, uint64_t units)
{
    if (s->count == 1 || spork__segments_is_backed(s, place, units)) return SPORK_OK;
    uint32_t segment = spork__segment_of(s, place);
    uint32_t end = pieces(spork__segment_offset(s, place) + units);
    backing b = backing_of(s, segment);
    uint32_t have = b.unsure || end <= b.end ? b.hole : b.end; /* or it is not true */
    spork_status status = have < end ? get_memory(s, segment, have, end) : SPORK_OK;
    if (status == SPORK_OK && !spork__segments_has(s, place, units, true))
        status = get_memory(s, segment, 0, end);
    if (status != SPORK_OK) {
        if (have == b.end)
            discard(s, segment, have, end); /* what of it there was; nobody uses it */
        return status;
    }
    spork__at(SPORK__AT_SEGMENT_BACKED);
    if (b.unsure) discard(s, segment, end, b.end);
    set_backing(s, segment, (backing){.hole = b.hole, .end = end});
    return SPORK_OK;
}

bool spork__segments_look(spork__segments *s, uint64_t place, uint64_t units, bool putting)
{
    _Atomic uint64_t *word = (_Atomic uint64_t *)&s->checked[putting];
    uint64_t checked = atomic_load_explicit(word, memory_order_relaxed);
    uint32_t segment = spork__segment_of(s, place);
    uint64_t end = spork__segment_offset(s, place) + units;
    if (end > UINT64_C(1) << s->shift) return false;
    uint32_t last = pieces(end),
             first = checked >> 48 == segment ? (uint32_t)(checked * 8 / PIECE) : 0;
    if (first > last || checked >> 48 != segment) first = 0;
    if (!spork__os_block_is_backed(s->block, offset_of(s, segment, first),
                                   (size_t)(last - first) * PIECE))
        return false;
    uint64_t seen = (uint64_t)last * (PIECE / 8);
    atomic_store_explicit(word, (uint64_t)segment << 48 | seen, memory_order_relaxed);
    return true;
}

/* Of a segment from that piece on, the last ones first. One that has a hole goes as a whole. */
static void give_back(const spork__segments *s, uint32_t segment, uint32_t from, uint32_t *most)
{
    backing b = backing_of(s, segment);
    if (b.hole > 0 || b.unsure) from = 0;
    if (b.end <= from) return;
    uint32_t left = b.end - from > *most ? b.end - *most : from;
    set_backing(s, segment, (backing){b.hole, b.end, true});
    spork__at(SPORK__AT_SEGMENT_TRIMMED);
    discard(s, segment, left, b.end);
    set_backing(s, segment, (backing){b.hole < left ? b.hole : left, left, b.unsure && left > 0});
    *most -= b.end - left;
}

/* Before it is written to from its beginning. */
static void make_sure(const spork__segments *s, uint32_t segment)
{
    backing b = backing_of(s, segment);
    uint32_t most = UINT32_MAX;
    if (b.unsure || b.hole > 0) give_back(s, segment, 0, &most);
}

/* Nobody reads what lies before `place` in its segment, and nobody writes there until the segment
 * is entered anew. */
static void give_back_around(const spork__segments *s, uint64_t place, uint32_t *most)
{
    uint32_t segment = spork__segment_of(s, place);
    uint64_t at = spork__segment_offset(s, place);
    backing b = backing_of(s, segment);
    uint32_t before = (uint32_t)(at * 8 / PIECE), tail = pieces(at + 1);
    if (b.unsure) return; /* who puts next makes it sure */
    if (b.end > tail) {
        set_backing(s, segment, (backing){b.hole, b.end, true});
        spork__at(SPORK__AT_SEGMENT_TRIMMED);
        discard(s, segment, tail, b.end);
        set_backing(s, segment, (backing){b.hole, tail, false});
    }
    if (before <= b.hole || before >= b.end) return;
    if (before - b.hole > *most) before = b.hole + *most;
    set_backing(s, segment, (backing){before, b.end < tail ? b.end : tail, false});
    spork__at(SPORK__AT_SEGMENT_TRIMMED);
    discard(s, segment, b.hole, before);
    *most -= before - b.hole;
}

/* ---- which are in use ---- */

typedef struct set {
    uint64_t words[SPORK__SEGMENTS / 64];
    uint32_t count;
} set;

static bool is_in(const set *in, uint32_t segment)
{
    return (in->words[segment / 64] >> segment % 64 & 1) != 0;
}

/* From the place `oldest` up to `place`, which may be the first one of a segment that has none yet.
 */
static set in_use(const spork__segments *s, uint64_t place, uint64_t oldest)
{
    set in = {{0}, 0};
    uint64_t from = oldest >> s->shift, to = place >> s->shift;
    uint32_t count = (uint32_t)(to - from) & (s->places - 1);
    if (spork__segment_offset(s, place) != 0) count++;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t segment = spork__segment_of(s, (from + i) << s->shift);
        if (is_in(&in, segment)) continue;
        in.words[segment / 64] |= UINT64_C(1) << segment % 64;
        in.count++;
    }
    return in;
}

spork_status spork__segments_enter(spork__segments *s, uint64_t place, uint64_t oldest)
{
    set in = in_use(s, place, oldest);
    uint32_t segment = 0;
    if (spork__planted(SPORK__BUG_SEGMENT_SHARED)) in = in_use(s, place, place);
    while (segment < s->count && is_in(&in, segment)) segment++;
    if (segment == s->count)
        return spork__fail(SPORK_BAD_MESSAGE, "the queue's shared memory is damaged");
    make_sure(s, segment);
    uint32_t at = (uint32_t)(place >> s->shift) & (s->places - 1);
    atomic_store_explicit(&s->table->behind[at], segment, memory_order_relaxed);
    spork__at(SPORK__AT_SEGMENT_ENTERED);
    if (used(s) <= segment)
        atomic_store_explicit(&s->table->used, segment + 1, memory_order_relaxed);
    if (used(s) > MUCH * (in.count + KEPT_SEGMENTS))
        spork__segments_trim(s, place + 1, oldest, false); /* the new one is in use, too */
    return SPORK_OK;
}

/* ---- giving back ---- */

/* How much of a segment is kept though nobody needs it. */
static uint32_t kept_of(const spork__segments *s, uint32_t segment)
{
    size_t first = segment * (bytes_of(s) / PIECE);
    return first < KEPT ? (uint32_t)(KEPT - first) : 0;
}

bool spork__segments_trim(spork__segments *s, uint64_t place, uint64_t oldest, bool idle)
{
    if (s->count == 1 || !spork__os_block_can_discard()) return false;
    set in = in_use(s, place, oldest);
    uint32_t still = 0, most = AT_ONCE;
    for (uint32_t segment = 0, n = used(s); segment < n; segment++) {
        if (!is_in(&in, segment) && most > 0) give_back(s, segment, kept_of(s, segment), &most);
        if (is_in(&in, segment) || backing_of(s, segment).end > 0) still = segment + 1;
    }
    atomic_store_explicit(&s->table->used, still, memory_order_relaxed);
    if (idle && spork__segment_offset(s, place) != 0 && bytes_of(s) > (size_t)KEPT * PIECE &&
        most > 0)
        give_back_around(s, place, &most);
    return most < AT_ONCE;
}

bool spork__segments_hold_more(const spork__segments *s)
{
    if (s->count == 1 || !spork__os_block_can_discard()) return false;
    size_t sum = 0, long_segment = (size_t)KEPT * PIECE;
    for (uint32_t segment = 0, n = used(s); segment < n; segment++) {
        backing b = backing_of(s, segment);
        sum += b.unsure ? b.end : b.end - b.hole;
    }
    return sum > KEPT + (bytes_of(s) > long_segment ? 2 : bytes_of(s) / PIECE);
}
