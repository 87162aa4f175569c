/* The tree: the table of all processes of one Spork family, in a block of shared memory that the root makes and every process maps
 * at its bootstrap. A participant's id is its slot and the slot's generation; whatever lies in shared memory names a
 * process by that, and "is it dead?" is answered here: never by a bare pid. */
#ifndef SPORK_TREE_H
#define SPORK_TREE_H

#include "platform.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SPORK__TREE_SLOT_BITS = 12, SPORK__TREE_SLOTS = 1 << SPORK__TREE_SLOT_BITS, SPORK__TREE_GENERATION_BITS = 18 };

/* Makes the tree if this process has none yet, and tells its handle, to be given to children. */
spork_status spork__tree_open(spork_native *handle);
/* In a spawned child: maps the parent's. */
spork_status spork__tree_map(spork_native handle);
/* Where its handle is kept. */
spork_native *spork__tree_handle(void);

/* From now on every fork calls spork__tree_forked in its child: where no page is wiped by forks, that does. */
void spork__tree_watch_forks(void);
/* In a forked child: async-signal-safe. */
void spork__tree_forked(void);
/* This process' id if it has joined, else 0; what the glance below tells, but certain. */
uint32_t spork__tree_self_known(void);
/* The name by which this process joins; lives as long as it. */
void spork__tree_name(const char *name);
/* How sentences call a participant: "Process-3 (pid 812)", also when it has ended, until another has its place. */
void spork__tree_text(uint32_t id, char *text, size_t size);

/* This process' id, which no other process has in the next 2^30 joins; joins at the first call. 0: the table is full, or
 * this process cannot judge the others (another pid namespace): SPORK_NO_SPACE, SPORK_UNSUPPORTED with a sentence. A forked
 * child is a participant of its own. */
uint32_t spork__tree_self(void);
/* Gives the id back: what it still names counts as a dead owner's. For tests: a process does so by its end. */
void spork__tree_leave(void);
/* False only if that participant is dead, or left, for certain. */
bool spork__tree_alive(uint32_t id);
/* Its process id, for messages, also when it has ended; 0 if another has its place. */
int spork__tree_pid(uint32_t id);

#ifndef __cplusplus
#include <stdatomic.h>
/* This process' id if that can be had without a call; 0: ask spork__tree_self. */
extern const _Atomic uint32_t *_Atomic spork__tree_glance;
static inline uint32_t spork__tree_self_at_a_glance(void)
{
    return atomic_load_explicit(atomic_load_explicit(&spork__tree_glance, memory_order_acquire), memory_order_relaxed);
}
#endif

#ifdef __cplusplus
}
#endif
#endif
