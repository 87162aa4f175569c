/**
 * @file connection.h
 * Connections: messages between two processes (or threads), over an anonymous pipe.
 *
 *     spork_connection *reader, *writer;
 *     SPORK_MUST(spork_pipe(&reader, &writer));
 *     p = spork_process_new(child, spork_pack(spork_move(writer)));      // the child has the only writing end
 *     SPORK_MUST(spork_process_start(p));
 *
 *     static int child(const spork_args *args)
 *     {
 *         spork_connection *out;
 *         if (spork_unpack(args, &out) != SPORK_OK) return 1;
 *         return spork_connection_send(out, spork_pack("answer", 42), SPORK_FOREVER) != SPORK_OK;
 *     }
 *
 *     spork_args *message;
 *     while (spork_connection_recv(reader, &message, SPORK_FOREVER) == SPORK_OK) {
 *         const char *word; int number;
 *         spork_unpack(message, &word, &number);
 *         spork_args_free(message);
 *     }                                                                  // SPORK_CLOSED: the child has ended
 *
 * ## Messages
 * A message is a run of bytes, or a pack of values (value.h), which travels as such a run. It arrives whole or not at all. Sizes are
 * 64-bit; on Windows a message has at most 1 GiB. Objects travel in a pack over a duplex connection; with spork_move the sender's is
 * closed once the message was sent.
 *
 * ## Who may use an end
 * One sender and one receiver at a time for each end, of all threads and processes that have it: two processes that send on
 * copies of one end would mix their messages, and a sender that is killed in the middle of a message larger than 4 KiB leaves a
 * part of it in front of the next sender's. Where several send or receive, use a queue. To give an end away, or a copy of it, counts as
 * receiving: on Windows no other thread may receive from it, or wait for it, meanwhile.
 *
 * ## The end
 * When the last copy of the other end is gone, closed or with its process, however that ended, the receiver gets what was sent
 * before, and then SPORK_CLOSED; a message that its sender could not finish is not seen. A sender gets SPORK_CLOSED at once, and
 * no SIGPIPE. This process' own copy of the other end counts, too: pass it with spork_move, or free it. Whoever receives while
 * still holding it is warned once, in the log.
 *
 * ## What differs between systems
 * | | POSIX | Windows |
 * |---|---|---|
 * | one-way | a pipe | a pipe in message mode, as CreatePipe makes them but overlapped |
 * | duplex | a pair of stream sockets | the same, in both directions |
 * | objects | lie in the message | stay the sender's until they are received: it has to live until then (else SPORK_BROKEN), and what is never received stays open in it |
 * | framing | 4 bytes length, big-endian; from 2^31 on -1 and 8 bytes more | none: a message is one write |
 *
 * The framing is that of CPython's multiprocessing.connection.Connection: a Python process can hold the other end, and read and
 * write it by send_bytes and recv_bytes.
 */
#ifndef SPORK_CONNECTION_H
#define SPORK_CONNECTION_H

#include "value.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A one-way connection: what is sent into *writer is received from *reader.
 * @return SPORK_OK; SPORK_NO_SPACE: no more descriptors; SPORK_NO_MEMORY; SPORK_INVALID: nowhere to store one. On failure both are NULL.
 */
SPORK_API spork_status spork_pipe(spork_connection **reader, spork_connection **writer);

/** A connection with two directions: what is sent into one end is received from the other. Results as spork_pipe. */
SPORK_API spork_status spork_pipe_duplex(spork_connection **a, spork_connection **b);

/**
 * Sends a pack of values as one message. Waits while the other side does not read and the pipe is full (64 KiB, usually).
 * @return SPORK_OK; SPORK_TIMEOUT: nothing was sent; SPORK_CLOSED: nobody can receive any more; SPORK_BROKEN: the time was over when a
 *         part had been sent, so this end sends nothing more (on Windows it receives nothing more either), and the receiver gets
 *         SPORK_CLOSED; SPORK_INVALID: a value that cannot
 *         travel, or an end that only receives; SPORK_UNSUPPORTED: objects over a one-way connection; SPORK_TOO_LARGE; SPORK_NO_SPACE: more
 *         objects are on their way than the system allows;
 *         SPORK_NO_MEMORY.
 */
SPORK_API spork_status spork_connection_send(spork_connection *connection, spork_args values, int timeout_ms);

/**
 * Receives a message that was sent as values. *values is yours until spork_args_free: the strings, arrays and objects in it live so
 * long, the latter longer with spork_keep.
 * @return SPORK_OK; SPORK_TIMEOUT; SPORK_CLOSED: no more will come; SPORK_BAD_MESSAGE: the message is no pack of values (it stays
 *         for spork_connection_recv_bytes; a second spork_connection_recv that says so takes it away), or what came is no message (then the connection is at its end); SPORK_INVALID: an end
 *         that only sends; SPORK_NO_MEMORY: the message stays; SPORK_NO_SPACE (POSIX): it is lost with its objects, as this process has no
 *         more descriptors; SPORK_BROKEN (Windows): the same, as their sender has ended. *values is NULL unless SPORK_OK.
 */
SPORK_API spork_status spork_connection_recv(spork_connection *connection, spork_args **values, int timeout_ms);

/** Sends `size` bytes as one message; none are a message too. Results as spork_connection_send. */
SPORK_API spork_status spork_connection_send_bytes(spork_connection *connection, const void *data, size_t size,
                                                   int timeout_ms);

/**
 * Receives one message into `buffer`.
 * @param received  its length; also with SPORK_TOO_SMALL: the room that it needs. May be NULL.
 * @return SPORK_OK; SPORK_TOO_SMALL: it is longer than `size`, and stays to be received; otherwise as spork_connection_recv.
 */
SPORK_API spork_status spork_connection_recv_bytes(spork_connection *connection, void *buffer, size_t size,
                                                   size_t *received, int timeout_ms);

/**
 * Waits until there is something to receive: a message, or the end.
 * @return SPORK_OK; SPORK_TIMEOUT; SPORK_INVALID: an end that only sends.
 */
SPORK_API spork_status spork_connection_poll(spork_connection *connection, int timeout_ms);

/**
 * The descriptor or handle of the end, which stays the connection's: to ask the system about it, or to recognise it. To wait
 * for it take spork_arm (wait.h). -1 for NULL, and for one that cannot be used any more.
 */
SPORK_API spork_native spork_connection_handle(const spork_connection *connection);

/**
 * The descriptor or handle of the end, to give to somebody else, in blocking mode (POSIX): it is the caller's from now on, and the
 * connection is freed. The mode is that of all copies of the end: where another process has one, too, its time-outs no longer hold
 * (POSIX). On Windows it is an overlapped pipe handle. -1 with SPORK_BAD_STATE: a message has been received in part,
 * or was too long for its buffer, and the connection stays as it is; -1 also for NULL.
 */
SPORK_API spork_native spork_connection_detach(spork_connection *connection);

/**
 * Makes a connection of a pipe or socket that was opened elsewhere: inherited, received, the
 * program's standard input or output. Whoever has the other end keeps to the framing above: a
 * program with Spork, multiprocessing.connection, or four lines of any language. Only to such a
 * peer as may harm this process: what it sends as values is checked, and still acted upon.
 *
 * `native` is the connection's from now on. It is set to private, and for all who have a copy of it
 * a pipe to non-blocking (POSIX) and to be read by messages (Windows). A standard stream (POSIX: 0,
 * 1, 2) goes on as the null device, and with it the others that are the same, so that what the
 * program reads or prints does not get between the messages; flush first what is to arrive there
 * still. Take it before the first process or pool is started: these have the streams of then.
 *
 * @param directions  SPORK_READ: it receives; SPORK_WRITE: it sends (wait.h); both: a duplex end
 *
 * | | POSIX | Windows |
 * |---|---|---|
 * | one-way | a pipe, or a FIFO open on both sides, for that direction alone | a pipe, see below |
 * | duplex | a connected stream socket; with objects: AF_UNIX | the same, in both directions |
 *
 * On Windows the pipe is in message mode, and overlapped, as multiprocessing.Pipe makes them.
 *
 * @return NULL with a sentence, and `native` is still the caller's: SPORK_INVALID: it is no such
 *         thing, has not that direction, or is not connected (any more); SPORK_NO_SPACE,
 *         SPORK_NO_MEMORY; SPORK_UNSUPPORTED (Windows): a standard stream; SPORK_OS_ERROR: the system
 *         refuses, as where there is no /dev/null.
 */
SPORK_API spork_connection *spork_connection_from(spork_native native, int directions);

/** Closes this process' copy of the end. NULL is fine. Where the system's own close waits, as for a
 *  socket with SO_LINGER, so does this, and with it what is started or made in other threads. */
SPORK_API void spork_connection_free(spork_connection *connection);

#ifdef __cplusplus
}
#endif
#endif
