/* What queue_test.cpp runs in other processes. Their values are in the comments. */
#ifndef SPORK_HARNESS_QUEUES_H
#define SPORK_HARNESS_QUEUES_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that differ with their place and with the seed. */
void queues_fill(void *data, size_t size, uint32_t seed);
uint32_t queues_sum(const void *data, size_t size);
/* Kills this process. */
void queues_die(void);
/* One message of whatever length, which the caller frees by free(). Nothing is there unless SPORK_OK. */
spork_status queues_receive(spork_queue *queue, void **data, size_t *size, int timeout_ms);

/* ---- a process that is told what to do ---- */

/* queue, hear (reader), say (writer): runs each line that it hears and says one line for it: the status' name, numbers,
 * and "|" with the sentence if there is one; ends with 0 at the end of what it hears.
 *
 *   put SIZE SEED [MS]     putvalues N [MS]    fill SIZE: until it is full; says how many
 *   get [MS]: says size and sum   getvalues [MS]: says n   getinto ROOM: says the length   drain: all that is there
 *   reserve SIZE [MS]      commit SIZE SEED    peek [MS]: as get     release
 *   done [TIMES]           join [MS]           size                  drop ROLES    close    free
 *   putdie SIZE SEED: is killed once put has returned
 *   delegate [ROLE]: a child of its own does the rest, and gets that role only; it itself drops both
 */
int queues_act(const spork_args *args);

/* ---- many messages ---- */

enum { QUEUES_PRODUCERS = 16 };
typedef struct queues_result {
    uint64_t count, sum;
} queues_result;

/* What one message adds to the sum of a result. */
uint64_t queues_mark(int producer, int number);
int queues_produce(const spork_args *args); /* queue, producer, count, largest: numbered messages with checksums */
int queues_consume(
    const spork_args *args); /* queue, writer: all until the end, in order for each producer; the result */
/* The same in this process; `result` grows. */
int queues_produce_here(spork_queue *queue, int producer, int count, size_t largest);
int queues_consume_here(spork_queue *queue, queues_result *result);

/* ---- others ---- */

int queues_put_sizes(
    const spork_args *args);            /* queue, array of uint64_t, die: the n-th with seed n; exits or is killed */
int queues_one(const spork_args *args); /* queue, ms: sleeps so long, and puts one message of bytes, "one" */
int queues_send_and_die(
    const spork_args
        *args); /* queue, connection: sends the role of a putter, and dies as by a kill */
int queues_free_with_open(
    const spork_args *args); /* queue, n: gets n, frees the queue, and sleeps for ever */
int queues_get_one(const spork_args *args); /* queue, two numbers: gets one message of bytes */
int queues_count_all(
    const spork_args
        *args); /* queue, back: gets bytes until CLOSED, and puts back how many, an int */
int queues_die_closing(const spork_args *args); /* queue: dies between the two steps of a close */
int queues_die_at(const spork_args *args); /* queue, point, size: dies there, as it puts such a message (0: gets one) */
int queues_stop_at(
    const spork_args *args); /* the same, but is stopped there; then the status. POSIX */
int queues_hold(const spork_args *args);        /* queue: puts "here" as bytes, and sleeps for ever */
int queues_count_up(const spork_args *args);    /* queue: puts ints until CLOSED, and then returns 20 */
int queues_tell(const spork_args *args);        /* queue, writer: writes the ints that it gets; 10 at the end */
int queues_source(const spork_args *args);      /* queue: values for ever; 20 when put says CLOSED */
int queues_filter(const spork_args *args);      /* in, out: passes on; 10 when get says CLOSED, 20 when put does */
int queues_sink(const spork_args *args);        /* in, writer: says so after 20 messages; 10 when get says CLOSED */
int queues_sixteen(const spork_args *args);     /* 16 queues: puts its place into each */
int queues_two(const spork_args *args);         /* a queue twice: puts by one and gets by the other */
/* a queue twice, 1 or 2: frees the other one, and puts a large message by that one */
int queues_two_one_after_the_other(const spork_args *args);
int queues_not_shared(
    const spork_args *args);              /* address: uses that queue, which it was not given; 0 if all is refused */
int queues_fifty(const spork_args *args); /* (): makes 50 queues and uses all of them at once */

#ifdef __cplusplus
}
#endif
#endif
