/* Any damage to a ring's and an arena's words: triples of {place, place, value} are written over them between calls. Each call comes
 * back with a status; nothing outside of the shared memory is touched (which a sanitizer would see).
 *
 * An input is a list of steps: which calls, how much is put, and triples until one begins with 0xFF. A step may put without
 * getting, so that what is written over is still to be read, or get without putting. The first also tells whether the ring has one
 * segment, or several. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "ring.h"

enum { CAPACITY = 8192, SEVERAL_SEGMENTS = 5 << 20, LARGEST = SEVERAL_SEGMENTS };
enum { LENDS = 1, NO_GET = 2, NO_PUT = 4, IN_SEGMENTS = 128 /* of the first step: for all */ };

static bool nobody_leaves(void *user, bool thorough) { return (void)user, (void)thorough, false; }
static bool allowed(void *user) { return (void)user, true; }

static unsigned char room[LARGEST + 1];

static void *into_room(spork__ring_sink *sink, size_t size)
{
    (void)sink;
    EXPECT(size <= LARGEST); /* what it could never have held is damage, and known as such */
    return room;
}

/* A lock word that names nobody is taken over after 10 ms: right, but too slow for thousands of rounds. */
static void free_locks(const spork__ring *ring)
{
    unsigned char *words = (unsigned char *)ring->words;
    memset(words + 128, 0,
           4); /* that of putting; its index, the lock of getting and its index follow */
    memset(words + 128 + 256, 0, 4);
    memset(ring->arena.table, 0, 4);
}

static void put(spork__ring *ring, size_t length, bool lends, spork__ring_wait *wait)
{
    spork__ring_loan loan;
    spork_status status =
        lends ? spork__ring_reserve(ring, length, &loan, wait) : spork__ring_put(ring, room, length, wait);
    EXPECT(status == SPORK_OK || spork_error()[0] != 0);
    if (!lends || status != SPORK_OK) return;
    memset(loan.data, 2, length);
    if (length % 3 == 0)
        spork__ring_give_up(ring, &loan);
    else
        spork__ring_commit(ring, &loan, length / 2);
}

static void get(spork__ring *ring, size_t length, bool lends, spork__ring_hands *hands, spork__ring_wait *wait)
{
    spork__ring_loan loan;
    spork__ring_sink sink = {.room = into_room};
    spork_status status = lends ? spork__ring_peek(ring, &loan, wait) : spork__ring_get(ring, &sink, hands, wait);
    EXPECT(status == SPORK_OK || spork_error()[0] != 0);
    if (!lends || status != SPORK_OK) return;
    EXPECT(loan.size <= LARGEST);
    memcpy(room, loan.data, loan.size);
    if (length % 5 == 0)
        spork__ring_put_back(ring);
    else
        spork__ring_release(ring, &loan, hands);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    spork__block block;
    spork__ring_sizes sizes;
    spork__ring ring, other;
    spork__ring_hands hands = {0};
    memset(&ring, 0, sizeof ring);
    size_t capacity = size > 0 && data[0] & IN_SEGMENTS ? SEVERAL_SEGMENTS : CAPACITY;
    EXPECT(spork__ring_plan(capacity, &sizes) == SPORK_OK);
    EXPECT(spork__os_block_new_growing(&block, sizes.whole) == SPORK_OK);
    EXPECT(spork__os_block_commit(&block, 0, sizes.fixed) == SPORK_OK);
    for (int i = 0; i < SPORK__RING_LOCKS; i++) EXPECT(spork__os_berth_new(&ring.berths[i]) == SPORK_OK);
    for (int i = 0; i < SPORK__RING_BELLS; i++) {
        EXPECT(spork__os_berth_new(&ring.ears[i].berth) == SPORK_OK);
        ring.ears[i].chime = (spork__chime){SPORK__NO_HANDLE, SPORK__NO_HANDLE};
    }
    EXPECT(spork__ring_make(&ring, &block, 0, capacity, 100) == SPORK_OK);
    size_t words = ring.segments.offset + 256; /* and the first records */
    for (size_t at = 0; at + 2 <= size;) {
        uint8_t what = data[at++];
        size_t length = data[at] * (data[at] % 8 == 0 ? (capacity > CAPACITY ? 1000u : 33u) : 1u);
        for (at++; at + 3 <= size && data[at] != 0xFF; at += 3)
            ((unsigned char *)block.data)[(data[at] * 256u + data[at + 1]) % words] = data[at + 2];
        at++;
        free_locks(&ring);
        spork__ring_wait wait = {.deserted = nobody_leaves, .allowed = allowed};
        if (!(what & NO_PUT)) put(&ring, length, what & LENDS, &wait);
        free_locks(&ring);
        if (!(what & NO_GET)) get(&ring, length, what & LENDS, &hands, &wait);
        spork__ring_count(&ring);
        spork__ring_open(&ring, &hands);
        if (at % 5 == 0) spork__ring_tidy(&ring);
        memcpy(&other, &ring, sizeof other);
        spork__ring_join(&other, &block, 0);
    }
    for (int i = 0; i < SPORK__RING_LOCKS; i++) spork__os_handle_close(ring.berths[i]);
    for (int i = 0; i < SPORK__RING_BELLS; i++) spork__os_handle_close(ring.ears[i].berth);
    spork__os_block_free(&block);
    return 0;
}
