/* The word: bit 0 is the sleepers' mark, the rest counts the rings that found it.
 *
 *     announce   sets the mark; the word is the ticket            (1)
 *     look       is it there?                                     (2)
 *     sleep      while the word is the ticket
 *     change     make it so                                       (3)
 *     ring       if the mark is set: counts, clears it, wakes     (4)
 *
 * Between 1 and 2, and between 3 and 4, stands a full barrier: whichever of 1 and 3 comes last in the one order of all
 * barriers, its process sees the other's. So either the look finds the change, or the ring finds the mark and changes the word,
 * and then nobody can fall asleep on the old one. Dekker's argument; futexes call it an eventcount.
 *
 * What a death leaves behind, at each point:
 *     announced       the mark, with nobody asleep: a needless wake-up later
 *     asleep, woken   nothing: all sleepers are woken, none for another
 *     claimed         the mark is gone and nobody was woken: each sleeper looks by itself when its bound has passed
 * So no count of sleepers exists that a death could leave wrong. */
#include "bell.h"

enum { BOUND_MS = 50 };

uint32_t spork__bell_announce(spork__bell *bell)
{
    if (spork__planted(SPORK__BUG_BELL_LOOKS_FIRST)) return atomic_load(&bell->word) | 1;
    uint32_t ticket = atomic_fetch_or_explicit(&bell->word, 1, memory_order_seq_cst) | 1;
    atomic_thread_fence(memory_order_seq_cst);
    spork__at(SPORK__AT_BELL_ANNOUNCED);
    return ticket;
}

void spork__bell_sleep(spork__bell *bell, spork_native berth, uint32_t ticket, int ms)
{
    bool bound = !spork__planted(SPORK__BUG_BELL_SILENT) && !spork__planted(SPORK__BUG_BELL_LOOKS_FIRST);
    if (ms < 0 || ms > BOUND_MS) ms = bound ? BOUND_MS : 60000;
    if (spork__planted(SPORK__BUG_BELL_LOOKS_FIRST)) {
        spork__os_sleep(1);
        ticket = atomic_fetch_or(&bell->word, 1) | 1;
    }
    if (atomic_load_explicit(&bell->word, memory_order_relaxed) == ticket)
        spork__os_park(&bell->word, ticket, berth, ms);
    spork__at(SPORK__AT_BELL_WOKEN);
}

void spork__bell_wake(spork__bell *bell, spork_native berth, uint32_t seen)
{
    /* Another ringer's success is ours: it wakes whoever had announced by then, and our change came before. */
    if (!atomic_compare_exchange_strong_explicit(&bell->word, &seen, seen + 1, memory_order_seq_cst,
                                                 memory_order_relaxed))
        return;
    spork__at(SPORK__AT_BELL_CLAIMED);
    if (!spork__planted(SPORK__BUG_BELL_SILENT)) spork__os_unpark(&bell->word, berth, true);
}
