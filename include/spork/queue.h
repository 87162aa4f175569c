/**
 * @file queue.h
 * Queue: messages from any number of processes (and threads) to any number of others, each to one of them.
 *
 *     spork_queue *q = spork_queue_new(0, 0);
 *     spork_process *p = spork_process_new(producer, spork_pack(spork_put_only(q)));
 *     SPORK_MUST(spork_process_start(p));
 *     SPORK_MUST(spork_queue_drop(q, SPORK_PUT));                 // we only get: so the producer's end is the end
 *
 *     spork_args *message;
 *     while (spork_queue_get(q, &message, SPORK_FOREVER) == SPORK_OK) {
 *         int number;
 *         spork_unpack(message, &number);
 *         spork_args_free(message);
 *     }                                                           // SPORK_CLOSED: all that was put has been got
 *
 * ## What it promises
 * When put returns SPORK_OK the message is in the queue: it does not depend on its sender any more, who may end or die, and need not be
 * waited for. Messages of one sender to one receiver arrive in order. A message arrives whole or not at all, once. Whoever is
 * killed at any instant, asleep or in the middle of a put or get, hurts nobody else: at most the message in its own hands is lost.
 *
 * Whoever waits in a put or get holds nothing (but for some ms in which the memory of a queue that has
 * been much fuller is given back): it may be stopped (SIGSTOP, a debugger, a frozen
 * container) for as long as one likes, and the others put, get, drop, close and join as if it were
 * not there; it goes on when it is continued. Who is stopped in the middle of a put or get, the
 * moment in which a message is copied, blocks that side until it goes on or is killed, and the
 * others' time-outs name it in their sentence; a large message that is just being copied also keeps
 * its bytes of the capacity. SPORK_TIMEOUT means a queue that is full, or empty; that somebody else
 * is just at it is waited for also by who only looks, for 0.1 s at most. What has found no room for
 * 10 ms is put next: small messages keep no large one out.
 *
 * ## What waiting costs
 * Who finds no message, or no room, looks again for a moment where that has paid lately
 * (spork_set_spin), and then sleeps. Nobody who is idle keeps a CPU busy: a second in get costs
 * some 1 ms of it. In a flow both sides let the other get ahead before they look, so a message may
 * be some microseconds older than it need be; a request's answer is looked for at once.
 *
 * ## How much fits
 * `max_messages` at once (268 435 454 at most), and `capacity` bytes of small messages and as many of
 * large ones; so much is also the largest message. A small one counts 8 bytes more than it has, rounded
 * up to 8, a large one whole pages. Up to a capacity of 4 MiB (it is rounded up to a power of two) a
 * large one is more than a quarter of it, and small ones may leave as much unused where they come
 * round; beyond, one of more than 256 KiB (of a capacity above 256 MiB: 1/1024 to 1/512 of it) is
 * large, and of small ones all that was asked for fits, or somewhat more. Who puts all the work into a
 * queue before there are any workers needs one that is large enough:
 *
 *     spork_queue_new(0, (size_t)4 << 30)                         // 4 GiB, of which 1 MiB is taken now
 *     spork_queue_new_with(&(spork_queue_options){.unbounded = true})
 *
 * A capacity of up to 4 MiB is taken from the system at once. Of a larger one memory is taken when
 * there are messages to fill it, and all but some MiB of it is given back when somebody has found the
 * queue empty for half a second (Linux; other systems keep it as long as the queue lives). The system
 * may have less than the capacity: then put is SPORK_NO_SPACE, puts nothing, and may be tried again. It
 * is asked how much it has for each 16 MiB, and is left 32. Unbounded means that this is the only bound
 * beside that on the number of messages: 64 GiB of addresses, 4 GiB on Windows, 256 MiB on 32-bit
 * systems, or what there is.
 *
 * ## The end
 * A process that has the queue may put and get, unless it was given it by spork_put_only or spork_get_only, or has dropped one of
 * these roles. Who waits to get gets SPORK_CLOSED when the queue is empty and no living process may put any more; who waits to put, when
 * none may get. This process' own role counts, too (one of its threads might use it): drop what you do not use; who waits for ever, where nobody but
 * this process itself could end that, is warned of once, in the log. spork_queue_close ends it for all at once. The death of another
 * process is noticed within 0.1 s. A role that travels in a message is nobody's who could end, but not lost: it counts until the message
 * is received, or lost with its connection (Linux with /proc, if a descriptor is free; elsewhere only from when it is received).
 *
 * ## task_done and join
 * A message that was got is open until its receiver calls spork_queue_task_done for it. spork_queue_join waits until the queue is
 * empty and none is open, so that who put the work can wait until it is done. The open ones of a receiver that died, or ended, are lost: join then
 * says SPORK_OWNER_DIED, with their number; so are those of one that has freed the queue. A queue whose receivers do not call
 * task_done needs no join.
 *
 * ## What differs between systems
 * Nothing but numbers: a process needs three descriptors for a queue on Linux, five elsewhere, and seven handles on Windows; on 32-bit systems the capacity is 512 MiB
 * at most, else 1 TiB; of one beyond what unbounded means there, small messages have no more than that, and of large ones there are
 * 1 024 at once at most.
 */
#ifndef SPORK_QUEUE_H
#define SPORK_QUEUE_H

#include "value.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a process may do with a queue. */
typedef enum spork_role {
    SPORK_PUT = 1, /**< put messages into it */
    SPORK_GET = 2  /**< get messages out of it */
} spork_role;

/** All zero is the default. New members are appended in newer versions. */
typedef struct spork_queue_options {
    size_t max_messages; /**< 0: as many as fit */
    size_t capacity;     /**< bytes; 0: 1 MiB */
    /** One process (and one of its threads at a time) puts: allows spork_queue_reserve. Others' puts would wait meanwhile. */
    bool single_producer;
    /** One process (and one of its threads at a time) gets: allows spork_queue_peek. */
    bool single_consumer;
    /** As much as the system can give, instead of a capacity. */
    bool unbounded;
} spork_queue_options;

/**
 * A queue; `capacity` in bytes; 0, 0: 1 MiB bounds it. NULL with a sentence: SPORK_NO_SPACE, SPORK_NO_MEMORY, SPORK_TOO_LARGE;
 * SPORK_INVALID: less than 4 KiB, and more messages than bytes, as if one were given for the other.
 */
SPORK_API spork_queue *spork_queue_new(size_t max_messages, size_t capacity);
/** The same with options: `spork_queue_new_with(&options)`. */
#define spork_queue_new_with(options) spork__queue_new((options), sizeof *(options))
/** What spork_queue_new_with calls; `size` tells which options this program was compiled with. */
SPORK_API spork_queue *spork__queue_new(const spork_queue_options *options, size_t size);

/** Pack: the receiver may only put; the end is seen when all such are gone. */
#define spork_put_only(queue) spork__flag(spork__as_queue(queue), SPORK__FLAG_PUT_ONLY)
/** Pack: the receiver may only get. */
#define spork_get_only(queue) spork__flag(spork__as_queue(queue), SPORK__FLAG_GET_ONLY)

/**
 * Puts a pack of values. Waits while the queue is full.
 * @return SPORK_OK; SPORK_TIMEOUT: it is full; SPORK_CLOSED: it was closed, or it is full and nobody is left to get;
 *         SPORK_TOO_LARGE: it never could hold that; SPORK_INVALID: a value that cannot travel, or this process only gets;
 *         SPORK_BAD_STATE: room is reserved, and not yet committed; SPORK_UNSUPPORTED: objects do not travel by queue; SPORK_NO_SPACE, SPORK_NO_MEMORY; SPORK_BAD_MESSAGE: the shared
 *         memory is damaged.
 */
SPORK_API spork_status spork_queue_put(spork_queue *queue, spork_args values, int timeout_ms);

/**
 * Gets a message that was put as values; *values is yours until spork_args_free, and NULL unless SPORK_OK.
 * @return SPORK_OK; SPORK_TIMEOUT: it is empty; SPORK_CLOSED: it is empty and nobody is left to put; SPORK_INVALID: this process only
 *         puts; SPORK_NO_MEMORY: the message stays; SPORK_BAD_MESSAGE: a message that is no pack of values, which is taken and lost,
 *         or damaged memory.
 */
SPORK_API spork_status spork_queue_get(spork_queue *queue, spork_args **values, int timeout_ms);

/** Puts `size` bytes as one message; none are one too. Results as spork_queue_put. */
SPORK_API spork_status spork_queue_put_bytes(spork_queue *queue, const void *data, size_t size, int timeout_ms);

/**
 * Gets one message into `buffer`.
 * @param received  its length; also with SPORK_TOO_SMALL: the room that it needs. May be NULL.
 * @return SPORK_OK; SPORK_TOO_SMALL: it is longer than `size`, and stays in the queue; otherwise as spork_queue_get.
 */
SPORK_API spork_status spork_queue_get_bytes(spork_queue *queue, void *buffer, size_t size, size_t *received,
                                             int timeout_ms);

/** Messages in the queue: exact when nobody puts or gets meanwhile. */
SPORK_API size_t spork_queue_size(const spork_queue *queue);

/** Its capacity in bytes, which is also the largest message; of an unbounded one, what there are addresses for. 0 for NULL. */
SPORK_API size_t spork_queue_capacity(const spork_queue *queue);
/** Messages that it can hold, whatever their size; 0: as many as fit, or NULL. */
SPORK_API size_t spork_queue_max_messages(const spork_queue *queue);
/** Whether a message of 64 bytes would have to wait now; others may have changed that when this returns. false for NULL. */
SPORK_API bool spork_queue_is_full(spork_queue *queue);

/**
 * This process gives a role up: SPORK_PUT, SPORK_GET or both; its threads that wait in that role get SPORK_CLOSED. SPORK_INVALID: it has not
 * got it; SPORK_BAD_STATE: a message is reserved, or peeked at.
 */
SPORK_API spork_status spork_queue_drop(spork_queue *queue, int roles);

/**
 * Ends the queue for all processes: nobody can put any more, what is in it can still be got. Waits for whoever is in the middle of a put,
 * or has reserved room, so that nothing comes after the end. SPORK_BAD_STATE: the latter is this process.
 */
SPORK_API spork_status spork_queue_close(spork_queue *queue);

/** One of the messages that this process got is done. SPORK_BAD_STATE: more often than it got any. */
SPORK_API spork_status spork_queue_task_done(spork_queue *queue);

/**
 * Waits until all that was put has been got and is done.
 * @return SPORK_OK; SPORK_TIMEOUT; SPORK_OWNER_DIED: nothing is left, but some were lost with receivers that died, as the sentence says;
 *         these are then forgotten.
 */
SPORK_API spork_status spork_queue_join(spork_queue *queue, int timeout_ms);

/**
 * Room for a message of up to `size` bytes in the queue itself, aligned to 8, to be filled and committed: without a copy. Only with
 * single_producer (else SPORK_UNSUPPORTED); no other put until the commit. Results as spork_queue_put.
 */
SPORK_API spork_status spork_queue_reserve(spork_queue *queue, size_t size, void **room, int timeout_ms);
/** The first `size` bytes of the room are the message. */
SPORK_API spork_status spork_queue_commit(spork_queue *queue, void *room, size_t size);

/**
 * The next message where it lies, aligned to 8, until it is released. Only with single_consumer (else SPORK_UNSUPPORTED); no other get until
 * then. Results as spork_queue_get.
 */
SPORK_API spork_status spork_queue_peek(spork_queue *queue, spork_bytes *message, int timeout_ms);
/** Takes the message out of the queue. */
SPORK_API spork_status spork_queue_release(spork_queue *queue, spork_bytes message);

/** Lets go of the queue in this process, with its roles. The queue lives while a process has it. NULL is fine. */
SPORK_API void spork_queue_free(spork_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
