/* Backoff: how a process waits for another one before it sleeps. A sleep costs two system calls,
 * and ends some 10 to 50 us late; who looks again a moment later pays neither. But each look takes
 * the cache line away from the one who is about to write it, and that costs both. So there are
 * three steps, of which a wait takes those that have been worth it lately:
 *
 *     look    again, with growing distance. In a flow the first look is late: who has caught up
 *             lets the other get ahead, and both then move lines between their caches in batches
 *     leave   the CPU for a moment, to those who want it: a yield; or a nap, if the other has much
 *             to do
 *     sleep   the caller's own business: on a bell, or on a word
 *
 * Nobody holds anything meanwhile. SPORK_SPIN_US in the environment bounds the first step (20);
 * 0, or a single CPU, leaves it out. */
#ifndef SPORK_BACKOFF_H
#define SPORK_BACKOFF_H

#include "platform.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a process has learned of one place where it waits; zero: nothing yet. The words are atomic:
 * its threads share it. */
typedef struct spork__backoff {
    uint32_t lag;     /* ns from the beginning of a wait to the first look */
    uint32_t debt;    /* waits in vain, less those that were not */
    uint32_t refused; /* waits that were not even begun */
} spork__backoff;

/* 0: not yet. Else how far the other one has come meanwhile: messages, or 1. */
typedef uint32_t (*spork__progress)(void *user);

/* Whether there is a first step at all. */
bool spork__backoff_looks(void);
/* Waits for somebody whose answer is the next thing that happens: the first look is at once.
 * `others`: how many would like to run meanwhile; are they too many for the CPUs, they are let run
 * between the looks. False: it has not come, and a sleep is due. */
bool spork__backoff_for_answer(spork__backoff *b, spork__progress found, void *user,
                               unsigned others);
/* Waits in a flow, until the other has come ahead by about that `batch`. */
bool spork__backoff_in_flow(spork__backoff *b, spork__progress found, void *user, uint32_t batch);
/* The first, for a word to have another value. */
void spork__backoff_while(spork__backoff *b, const void *word64, uint64_t value);

#ifdef __cplusplus
}
#endif
#endif
