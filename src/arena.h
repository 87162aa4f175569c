/* The arena: room for large things in shared memory, given out as extents. Every extent names its owner, a participant of the tree
 * (tree.h), until it is freed: what the dead held is swept up by the living. Memory is taken from the system when an extent
 * first needs it, and then kept until the arena is idle (spork__arena_trim): a lack of it is
 * SPORK_NO_SPACE, never a SIGBUS.
 *
 * An extent may also be NOBODY's: it belongs to the structure that the arena serves, which has to know by the extent's `mark` whether it
 * still refers to it. */
#ifndef SPORK_ARENA_H
#define SPORK_ARENA_H

#include "platform.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SPORK__ARENA_EXTENTS = 1024, SPORK__ARENA_UNIT = 4096 };
#define SPORK__ARENA_NOBODY UINT32_C(0x40000000)
#define SPORK__ARENA_NONE UINT32_MAX

/* The shared part: in the block's first, committed bytes. */
typedef struct spork__arena_table spork__arena_table;

typedef struct spork__arena {
    const spork__block *block;
    spork__arena_table *table;
    size_t offset, size; /* of the room in the block; both multiples of SPORK__ARENA_UNIT */
    spork_native berth;  /* of the table's lock */
    /* Atomic: how often the memory was given back << 32 | units from the first on that this process
     * has seen to have memory since. */
    uint64_t committed;
} spork__arena;

/* How much room a table needs; aligned to 128. */
size_t spork__arena_table_size(void);
/* Makes an arena of zeroed memory, or joins one that is there: SPORK_BAD_MESSAGE if that has not this size, or another
 * layout. Nothing is to be freed. */
spork_status spork__arena_open(spork__arena *arena, bool make);

/* An extent of at least `size` bytes, which this process owns. SPORK_TIMEOUT: there is no room at present, after a look for
 * dead owners, or whoever looks for room just now is very slow; SPORK_TOO_LARGE: nor would there be in an empty arena; SPORK_NO_SPACE: the
 * system has no memory, or this process cannot become a participant; SPORK_BAD_MESSAGE: another extent is damaged. */
spork_status spork__arena_take(spork__arena *arena, size_t size, uint32_t *extent);
/* Its room. NULL, with a sentence: that is no extent, or one whose words are damaged. */
void *spork__arena_data(const spork__arena *arena, uint32_t extent, size_t *size);
/* Gives an extent of the owner `from` to `to`; false: it is not from's. */
bool spork__arena_hand(const spork__arena *arena, uint32_t extent, uint32_t from, uint32_t to);
uint32_t spork__arena_owner(const spork__arena *arena, uint32_t extent);
/* Frees an extent of that owner; false: it is not its. */
bool spork__arena_free(const spork__arena *arena, uint32_t extent, uint32_t owner);
/* A word for the user of the arena, written by the owner before it hands the extent on. */
void spork__arena_set_mark(const spork__arena *arena, uint32_t extent, uint64_t mark);
uint64_t spork__arena_mark(const spork__arena *arena, uint32_t extent);

/* Frees the extents of dead owners for which `lost` says so (NULL: all); how many. `owner` may be SPORK__ARENA_NOBODY. */
typedef bool (*spork__arena_lost)(void *user, uint32_t owner, uint64_t mark);
size_t spork__arena_sweep(spork__arena *arena, spork__arena_lost lost, void *user);
/* Gives memory back if the living have no extent, but for the first few MiB. Not more than a moment
 * takes: whether it was anything. */
bool spork__arena_trim(spork__arena *arena);
/* Whether there is more memory than that. */
bool spork__arena_holds_more(const spork__arena *arena);
/* The participant that is looking for room just now; 0. *time: a number that is another one when it is looking anew, or gets on
 * with what it does. */
uint32_t spork__arena_locked_by(const spork__arena *arena, uint32_t *time);
/* Extents that have an owner, and the bytes in them. */
size_t spork__arena_used(const spork__arena *arena, uint64_t *bytes);

#ifdef __cplusplus
}
#endif
#endif
