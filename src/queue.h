#ifndef SPORK_SRC_QUEUE_H
#define SPORK_SRC_QUEUE_H

#include <spork/queue.h>

#include "object.h"

#ifdef __cplusplus
extern "C" {
#endif

/* To be known before a child's arguments are read. */
extern const spork__kind spork__queue_kind;

/* Takes back what dead processes had in hands. Extents of large messages that are left, of the queue's and of living
 * processes'. For tests. */
size_t spork__queue_tidy(spork_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
