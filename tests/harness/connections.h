/* What connection_test.cpp runs in other processes. Their values are in the comments; they return 0 if all is well. */
#ifndef SPORK_HARNESS_CONNECTIONS_H
#define SPORK_HARNESS_CONNECTIONS_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- bytes ---- */

/* Bytes that differ with their place and with the seed. */
void connections_fill(void *data, size_t size, uint32_t seed);
uint64_t connections_checksum(const void *data, size_t size);
/* One message of whatever length, which the caller frees by free(). Nothing is there unless SPORK_OK. */
spork_status connections_receive(spork_connection *connection, void **data, size_t *size, int timeout_ms);

/* Gives back each message of bytes, until the end. 0, or the place of what was wrong. */
int connections_echo_from(spork_connection *in, spork_connection *out);

/* ---- targets ---- */

int connections_echo(const spork_args *args);    /* duplex end: gives back each message of bytes, until the end */
int connections_relay(const spork_args *args);   /* reader, writer: the same over two pipes */
int connections_add(const spork_args *args);     /* duplex end: text, number, doubles in; text, number + 1, sum out */
int connections_produce(const spork_args *args); /* writer, count: numbered messages with checksums */
int connections_consume(const spork_args *args); /* reader, count: takes and checks them, and then the end */
int connections_hold(const spork_args *args);    /* end, barrier (reader): keeps the end until the barrier's end */
int connections_say(const spork_args *args);     /* writer, text: one message of bytes */
int connections_wait(const spork_args *args);    /* duplex end: says "ready", and receives until the end */
int connections_die_sending(const spork_args *args); /* end, size: "before" twice, and then a message of that size */
int connections_serve(const spork_args *args);  /* duplex end: into each end that comes it says "served", to the end */
int connections_number(const spork_args *args); /* duplex end: one message of 16 ends; says its number into each */
/* duplex end, address: uses that connection; 100 + status if it may */
int connections_not_shared(const spork_args *args);
/* duplex end, stays (bool): sends a new pipe's reader, says "made" into the pipe; stays until the end */
int connections_give_back(const spork_args *args);
/* duplex end, count: sends as many readers, each with its number and one in its pipe; stays until the end */
int connections_many_objects(const spork_args *args);

/* POSIX only; 0 on Windows. */
int connections_no_sigpipe(const spork_args *args);        /* (): SIGPIPE is at its default */
int connections_no_sigpipe_of_old(const spork_args *args); /* (): and the system cannot write without one */
int connections_pending_sigpipe(const spork_args *args); /* whole (bool): as above, while one is pending: of the process
                                                            or of the thread */
int connections_no_descriptors(const spork_args *args);  /* (): at the limit of descriptors */
int connections_peak(const spork_args *args); /* (): MiB by which messages of boundless length let its memory grow */

#ifdef __cplusplus
}
#endif
#endif
