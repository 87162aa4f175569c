/* Ways of moving messages from producers to consumers, for one queue at a time: Spork's, bare
 * rings as its limit, and peers. */
#ifndef BENCH_TRANSPORTS_H
#define BENCH_TRANSPORTS_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct transport {
    const char *name;
    bool (*open)(size_t message); /* before the fork; false: not on this machine, or not of that size */
    void (*put)(const void *data, size_t size);
    size_t (*get)(void *data, size_t room);
    void (*close)(void);
    void (*leave)(void); /* in a process of a round, before it ends; may be NULL */
    /* In a process of a round, before it begins; may be NULL. Else only processes of a round can put. */
    void (*join)(bool putting);
} transport;

extern const transport spork_transport, bare_transport, mq_transport;
/* Bare rings whose sides never sleep: who finds no message, no room, or a lock taken, looks
 * again at once, or after a shorter or a longer pause. What is best of the three depends on how
 * far the CPUs are from each other. */
enum { LOOPS = 3 };
extern const transport loop_transports[LOOPS];
#ifdef BENCH_BOOST
extern const transport boost_transport;
#endif
#ifdef BENCH_ZMQ
extern const transport zmq_transport;
#endif
#ifdef BENCH_ICEORYX
extern const transport iceoryx_transport;
#endif

#ifdef __cplusplus
}
#endif
#endif
