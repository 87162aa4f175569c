/* The word: bit 0 is the mark of those who park, bit 1 of those who wait on a handle; bit 2 says
 * that more than one parks, and outlives a ring that wakes only one; the rest counts the rings that
 * found a mark.
 *
 *     announce   sets the mark; the word is the ticket            (1)
 *     look       is it there?                                     (2)
 *     sleep      while the word is the ticket
 *     change     make it so                                       (3)
 *     ring       if the mark is set: counts, clears it, wakes     (4)
 *
 * 1 and 4 are read-modify-writes of the one word, 4 too where it changes nothing, so one of them comes first and the other reads what
 * it left, with all that was done before it. If 1 is first, the ring finds the mark and changes the word, and then nobody can fall
 * asleep on the old one. If 4 is first, the look, which comes after 1, finds the change, which came before 4. Futexes call it an
 * eventcount. While nobody sleeps only those who ring write to the word, so its cache line is theirs.
 *
 * What a death leaves behind, at each point:
 *     announced       the mark, with nobody asleep: a needless wake-up later
 *     asleep, woken   nothing: all sleepers are woken, none for another; where one is woken for
 *                     all, the others look by themselves when their bound has passed
 *     claimed         the mark is gone and nobody was woken: each sleeper looks by itself when its bound has passed
 * So no count of sleepers exists that a death could leave wrong. */
#include "bell.h"

enum { BOUND_MS = 50 };

uint32_t spork__bell_announce(spork__bell *bell)
{
    if (spork__planted(SPORK__BUG_BELL_LOOKS_FIRST)) return atomic_load(&bell->word) | SPORK__BELL_PARKED;
    uint32_t seen = atomic_load_explicit(&bell->word, memory_order_relaxed), ticket;
    do ticket = seen | SPORK__BELL_PARKED | (seen & SPORK__BELL_PARKED ? SPORK__BELL_SEVERAL : 0u);
    while (!atomic_compare_exchange_weak_explicit(&bell->word, &seen, ticket, memory_order_seq_cst,
                                                  memory_order_relaxed));
    spork__at(SPORK__AT_BELL_ANNOUNCED);
    return ticket;
}

void spork__bell_sleep(spork__bell *bell, const spork__ear *ear, uint32_t ticket, int ms)
{
    bool bound = !spork__planted(SPORK__BUG_BELL_SILENT) &&
                 !spork__planted(SPORK__BUG_BELL_LOOKS_FIRST) &&
                 !spork__planted(SPORK__BUG_BELL_UNBOUNDED);
    if (ms < 0 || ms > BOUND_MS) ms = bound ? BOUND_MS : 60000;
    if (spork__planted(SPORK__BUG_BELL_LOOKS_FIRST)) {
        spork__os_sleep(1);
        ticket = atomic_fetch_or(&bell->word, SPORK__BELL_PARKED) | SPORK__BELL_PARKED;
    }
    if (atomic_load_explicit(&bell->word, memory_order_relaxed) == ticket)
        spork__os_park(&bell->word, ticket, ear->berth, ms);
    spork__at(SPORK__AT_BELL_WOKEN);
}

/* Takes the marks away; false: somebody else has. `claimed`: what the word became. For one sleeper
 * the others' mark stays: who rings for all finds it. */
static bool claim(spork__bell *bell, uint32_t *seen, bool for_one, uint32_t *claimed)
{
    uint32_t wanted = for_one ? SPORK__BELL_AWAITED : SPORK__BELL_ASLEEP;
    uint32_t keep = for_one ? SPORK__BELL_SEVERAL : 0;
    /* Another ringer's success is ours: whom it woke had announced itself by then, and our change
     * came before. If instead somebody else announced itself meanwhile, it has seen our change, or we
     * see its mark now. */
    do {
        if (!(*seen & wanted)) return false;
        *claimed = ((*seen | SPORK__BELL_ASLEEP) + 1) | (*seen & keep);
    } while (!atomic_compare_exchange_weak_explicit(&bell->word, seen, *claimed,
                                                    memory_order_seq_cst, memory_order_seq_cst));
    spork__at(SPORK__AT_BELL_CLAIMED);
    return !spork__planted(SPORK__BUG_BELL_SILENT);
}

void spork__bell_wake(spork__bell *bell, const spork__ear *ear, uint32_t seen)
{
    uint32_t claimed;
    if (!claim(bell, &seen, false, &claimed)) return;
    bool parked =
        seen & (SPORK__BELL_PARKED | SPORK__BELL_SEVERAL) || ear->chime.ring == SPORK__NO_HANDLE;
    if (parked) spork__os_unpark(&bell->word, ear->berth, true);
    if (seen & SPORK__BELL_POLLED) spork__os_chime_ring(&ear->chime);
}

void spork__bell_wake_one(spork__bell *bell, const spork__ear *ear, uint32_t seen)
{
    uint32_t claimed;
    if (!claim(bell, &seen, true, &claimed)) return;
    /* Where both kinds wait on the one semaphore, which of them a single token reaches is open. */
    bool together = seen & SPORK__BELL_POLLED && ear->chime.ring == SPORK__NO_HANDLE;
    bool found = true;
    if (seen & SPORK__BELL_PARKED || together)
        found = spork__os_unpark(&bell->word, ear->berth, together);
    /* Nobody was asleep: who had announced itself by then finds the word changed, and looks. So the
     * mark tells of nobody any more. */
    if (!found && claimed & SPORK__BELL_SEVERAL)
        atomic_compare_exchange_strong(&bell->word, &claimed,
                                       claimed & ~(uint32_t)SPORK__BELL_SEVERAL);
    if (seen & SPORK__BELL_POLLED) spork__os_chime_ring(&ear->chime);
}

void spork__bell_announce_polling(spork__bell *bell)
{
    atomic_fetch_or_explicit(&bell->word, SPORK__BELL_POLLED, memory_order_seq_cst);
}

spork_native spork__bell_handle(const spork__ear *ear)
{
    return ear->chime.wait != SPORK__NO_HANDLE ? ear->chime.wait : ear->berth;
}

void spork__bell_quiet(const spork__ear *ear)
{
    if (ear->chime.wait != SPORK__NO_HANDLE)
        spork__os_chime_quiet(&ear->chime);
    else
        spork__os_berth_quiet(ear->berth);
}

void spork__bell_call(spork__bell *bell, const spork__ear *ear)
{
    if (ear->chime.ring != SPORK__NO_HANDLE)
        spork__os_chime_ring(&ear->chime);
    else
        spork__os_unpark(&bell->word, ear->berth, true);
}
