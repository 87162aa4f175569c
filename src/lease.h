/* A lease: a right that lasts for a moment only, unless its holder renews it. Who dies or is
 * stopped with it costs the others that moment, and nobody has to find out. For what is only fair:
 * all that depends on a lease has to be right without it. */
#ifndef SPORK_LEASE_H
#define SPORK_LEASE_H

#include "platform.h"

enum { SPORK__LEASE_MS = 100 };

#ifndef __cplusplus

#include <stdatomic.h>

/* In shared memory; zero: nobody has it. */
typedef struct spork__lease {
    _Atomic uint64_t word;
} spork__lease;

/* Who asks: a thread of a participant; 0: one that has no lease. */
typedef uint64_t spork__tenant;

bool spork__lease_runs_for_another(spork__lease *lease, spork__tenant me);
/* Is it somebody else's? */
static inline bool spork__lease_is_anothers(spork__lease *lease, spork__tenant me)
{
    return atomic_load_explicit(&lease->word, memory_order_relaxed) != 0 &&
           spork__lease_runs_for_another(lease, me);
}
/* Takes it, or renews it, unless it is somebody else's. *me: the calling thread from then on. */
void spork__lease_claim(spork__lease *lease, spork__tenant *me);
/* Whether it was ours until now. */
bool spork__lease_end(spork__lease *lease, spork__tenant me);
/* The participant that has it; 0: none. */
uint32_t spork__lease_holder(spork__lease *lease);
/* Takes it from a participant that is dead. */
void spork__lease_expel(spork__lease *lease, uint32_t dead);

#endif
#endif
