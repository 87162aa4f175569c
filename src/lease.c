/* The word: participant << 34 | thread << 16 | until when, in milliseconds; all 0: nobody's. The
 * time is that of a clock which all processes share, modulo 65 s: a lease that nobody looked at for
 * so long may seem to run once more, for as long as a lease runs. */
#include "lease.h"

#include "holder.h"
#include "tree.h"

static uint16_t now_ms(void) { return (uint16_t)(spork__os_now() / 1000000); }
static bool runs(uint64_t word)
{
    return word != 0 && (uint16_t)((uint16_t)word - now_ms() - 1) < SPORK__LEASE_MS;
}

static spork__tenant this_thread(void)
{
    return (uint64_t)spork__tree_self() << 18 | (spork__thread_number() & 0x3FFFF);
}

bool spork__lease_runs_for_another(spork__lease *lease, spork__tenant me)
{
    uint64_t word = atomic_load_explicit(&lease->word, memory_order_relaxed);
    if (word >> 16 == me) return false;
    if (runs(word)) return true;
    atomic_compare_exchange_strong(&lease->word, &word, 0); /* nobody need ask the clock again */
    return false;
}

void spork__lease_claim(spork__lease *lease, spork__tenant *me)
{
    uint64_t word = atomic_load_explicit(&lease->word, memory_order_relaxed);
    if (*me == 0) *me = this_thread();
    if (word >> 16 != *me && runs(word)) return;
    uint16_t until = (uint16_t)(now_ms() + SPORK__LEASE_MS);
    atomic_compare_exchange_strong(&lease->word, &word, *me << 16 | until);
}

bool spork__lease_end(spork__lease *lease, spork__tenant me)
{
    uint64_t word = atomic_load_explicit(&lease->word, memory_order_relaxed);
    return me != 0 && word >> 16 == me && atomic_compare_exchange_strong(&lease->word, &word, 0);
}

uint32_t spork__lease_holder(spork__lease *lease)
{
    uint64_t word = atomic_load_explicit(&lease->word, memory_order_relaxed);
    return runs(word) ? (uint32_t)(word >> 34) : 0;
}

void spork__lease_expel(spork__lease *lease, uint32_t dead)
{
    uint64_t word = atomic_load_explicit(&lease->word, memory_order_relaxed);
    if ((uint32_t)(word >> 34) == dead) atomic_compare_exchange_strong(&lease->word, &word, 0);
}
