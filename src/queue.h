#ifndef SPORK_SRC_QUEUE_H
#define SPORK_SRC_QUEUE_H

#include <spork/queue.h>

#include "object.h"

#ifdef __cplusplus
extern "C" {
#endif

/* To be known before a child's arguments are read. */
extern const spork__kind spork__queue_kind;

/* Whether somebody has announced that it is about to sleep until there is something to get (SPORK_GET), room to put (SPORK_PUT), or all
 * is done (0), and nobody has woken it since. For tests. */
bool spork__queue_awaited(const spork_queue *queue, int role);
/* Whether somebody who has waited long for room has a lease of it (ring.c). For tests. */
bool spork__queue_leased(const spork_queue *queue);

/* Bytes that the system has given for it. For tests. */
size_t spork__queue_memory(const spork_queue *queue);

/* Takes back what dead processes had in hands. Extents of large messages that are left, of the queue's and of living
 * processes'. For tests. */
size_t spork__queue_tidy(spork_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
