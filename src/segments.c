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
 *     trimming    a segment that is said to have less memory than it has: as above
 *
 * How much memory a segment has is said before it is given back, and after it was had. A wrong
 * number there, from others that can write this memory, costs no more than memory on POSIX systems,
 * where a part without any is one that reads as zeros; on Windows it would be the end of who
 * touches it, and is looked at by each process, once for each part. */
#include "segments.h"

#include "error.h"
#include "fault.h"

enum { SMALLEST_RING = 4096, LARGEST_RING = 4 << 20 }; /* of one segment */
enum { SMALLEST_SEGMENT = 1 << 20, MOST_IN_USE = 256 };
enum { PIECE = 1 << 20 }; /* is had at once */
/* How often the system is asked whether it has how much left. */
enum { ASKED = 16 << 20, LEFT = 64 << 20 };
/* Bytes that are not given back; so many segments more than in use, and twice that, are much. */
enum { KEPT = 4 << 20, KEPT_SEGMENTS = 4, MUCH = 2 };
#define HOLES (UINT64_C(1) << 63)

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

static _Atomic uint64_t *backed_word(const spork__segments *s, uint32_t segment)
{
    return &s->table->backed[segment];
}

/* Never more than there can be, whatever the word says. */
static uint64_t backed_of(const spork__segments *s, uint32_t segment)
{
    uint64_t backed = atomic_load_explicit(backed_word(s, segment), memory_order_relaxed) & ~HOLES;
    return backed < bytes_of(s) ? backed : bytes_of(s);
}

static uint32_t used(const spork__segments *s)
{
    uint32_t n = atomic_load_explicit(&s->table->used, memory_order_relaxed);
    return n < s->count ? n : s->count;
}

void spork__segments_begin(const spork__segments *s)
{
    atomic_store_explicit(backed_word(s, 0), spork__segments_at_start(s), memory_order_relaxed);
    atomic_store_explicit(&s->table->used, 1, memory_order_relaxed);
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
    if (atomic_load_explicit(backed_word(s, segment), memory_order_relaxed) & HOLES)
        atomic_store_explicit(backed_word(s, segment), 0, memory_order_relaxed);
    uint32_t at = (uint32_t)(place >> s->shift) & (s->places - 1);
    atomic_store_explicit(&s->table->behind[at], segment, memory_order_relaxed);
    spork__at(SPORK__AT_SEGMENT_ENTERED);
    if (used(s) <= segment)
        atomic_store_explicit(&s->table->used, segment + 1, memory_order_relaxed);
    if (used(s) > MUCH * (in.count + KEPT_SEGMENTS))
        spork__segments_trim(s, place + 1, oldest, false); /* the new one is in use, too */
    return SPORK_OK;
}

/* ---- memory ---- */

static size_t up(size_t size, size_t to) { return (size + to - 1) / to * to; }

static size_t offset_of(const spork__segments *s, uint32_t segment)
{
    return s->offset + segment * bytes_of(s);
}

/* The bytes from `have` to `end` of a segment. The system is asked how much it has now and then:
 * who takes the last of it is not refused, but has somebody killed. */
static spork_status get_memory(const spork__segments *s, uint32_t segment, size_t have, size_t end)
{
    size_t first = segment * bytes_of(s) + have, last = segment * bytes_of(s) + end;
    bool ask = first % ASKED == 0 || first / ASKED != (last - 1) / ASKED;
    spork_status status = ask ? spork__os_block_afford(end - have + LEFT) : SPORK_OK;
    if (status != SPORK_OK) return status;
    return spork__os_block_commit(s->block, offset_of(s, segment) + have, end - have);
}

spork_status spork__segments_back(spork__segments *s, uint64_t place, uint64_t units)
{
    if (s->count == 1) return SPORK_OK;
    uint32_t segment = spork__segment_of(s, place);
    size_t end = (size_t)(spork__segment_offset(s, place) + units) * 8;
    size_t have = (size_t)backed_of(s, segment);
    if (end <= have && spork__segments_has(s, place, units, true)) return SPORK_OK;
    if (end <= have) have = 0; /* which was not true */
    end = up(end, PIECE);
    spork_status status = get_memory(s, segment, have, end);
    if (status != SPORK_OK) return status;
    spork__at(SPORK__AT_SEGMENT_BACKED);
    atomic_store_explicit(backed_word(s, segment), end, memory_order_relaxed);
    return SPORK_OK;
}

bool spork__segments_look(spork__segments *s, uint64_t place, uint64_t units, bool putting)
{
    uint32_t segment = spork__segment_of(s, place);
    uint64_t begin = spork__segment_offset(s, place), end = begin + units;
    if (end > UINT64_C(1) << s->shift) return false;
    uint64_t last = up((size_t)end * 8, PIECE), first = begin * 8 / PIECE * PIECE;
    if (!spork__os_block_is_backed(s->block, offset_of(s, segment) + (size_t)first,
                                   (size_t)(last - first)))
        return false;
    atomic_store_explicit((_Atomic uint64_t *)&s->checked[putting],
                          (uint64_t)segment << 48 | last / 8, memory_order_relaxed);
    return true;
}

/* Of a segment from that byte on. */
static void give_back(const spork__segments *s, uint32_t segment, size_t from)
{
    size_t have = (size_t)backed_of(s, segment);
    if (have <= from) return;
    atomic_store_explicit(backed_word(s, segment), from, memory_order_relaxed);
    spork__at(SPORK__AT_SEGMENT_TRIMMED);
    spork__os_block_discard(s->block, offset_of(s, segment) + from, have - from);
}

/* Nobody reads what lies before `place` in its segment, and nobody writes there until the segment
 * is entered anew, when it is found to have holes. */
static void give_back_around(const spork__segments *s, uint64_t place)
{
    uint32_t segment = spork__segment_of(s, place);
    size_t at = (size_t)spork__segment_offset(s, place) * 8, before = at / PIECE * PIECE;
    give_back(s, segment, up(at + 8, PIECE));
    if (before == 0) return;
    atomic_fetch_or_explicit(backed_word(s, segment), HOLES, memory_order_relaxed);
    spork__at(SPORK__AT_SEGMENT_TRIMMED);
    spork__os_block_discard(s->block, offset_of(s, segment), before);
}

/* How much of a segment is kept though nobody needs it. */
static size_t kept_of(const spork__segments *s, uint32_t segment)
{
    size_t first = segment * bytes_of(s);
    size_t kept = first < KEPT ? KEPT - first : 0;
    return kept < bytes_of(s) ? kept : bytes_of(s);
}

void spork__segments_trim(spork__segments *s, uint64_t place, uint64_t oldest, bool idle)
{
    if (s->count == 1 || !spork__os_block_can_discard()) return;
    set in = in_use(s, place, oldest);
    uint32_t still = 0;
    for (uint32_t segment = 0, n = used(s); segment < n; segment++) {
        if (!is_in(&in, segment)) give_back(s, segment, kept_of(s, segment));
        if (is_in(&in, segment) || backed_of(s, segment) > 0) still = segment + 1;
    }
    atomic_store_explicit(&s->table->used, still, memory_order_relaxed);
    if (idle && spork__segment_offset(s, place) != 0 && bytes_of(s) > KEPT)
        give_back_around(s, place);
}

static size_t backed(const spork__segments *s)
{
    size_t sum = 0;
    for (uint32_t segment = 0, n = used(s); segment < n; segment++)
        sum += atomic_load_explicit(backed_word(s, segment), memory_order_relaxed) & HOLES
                   ? (size_t)PIECE
                   : (size_t)backed_of(s, segment);
    return sum;
}

bool spork__segments_hold_more(const spork__segments *s)
{
    if (s->count == 1 || !spork__os_block_can_discard()) return false;
    return backed(s) > KEPT + (bytes_of(s) > KEPT ? 2 * PIECE : bytes_of(s));
}
