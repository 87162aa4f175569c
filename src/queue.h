#ifndef SPORK_SRC_QUEUE_H
#define SPORK_SRC_QUEUE_H

#include <spork/queue.h>

#include "object.h"

#ifdef __cplusplus
extern "C" {
#endif

/* To be known before a child's arguments are read. */
extern const spork__kind spork__queue_kind;

/* For wait.c: whether these events can be waited for; have come (`ask`: also whether the other side is deserted, which takes
 * longer); the handle that tells of one, after the announcement that it is waited on; and its sound. */
spork_status spork__queue_check_wait(spork_queue *queue, int events, const char *call);
bool spork__queue_ready(spork_queue *queue, int events, bool ask);
spork_native spork__queue_announce(spork_queue *queue, bool putting);
void spork__queue_quiet(spork_queue *queue, bool putting);
void spork__queue_call(spork_queue *queue, bool putting);

/* Whether somebody has announced that it is about to sleep until there is something to get (SPORK_GET), room to put (SPORK_PUT), or all
 * is done (0), and nobody has woken it since. For tests. */
bool spork__queue_awaited(const spork_queue *queue, int role);

/* Takes back what dead processes had in hands. Extents of large messages that are left, of the queue's and of living
 * processes'. For tests. */
size_t spork__queue_tidy(spork_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
