/**
 * @file handle.h
 * Handles: what the system has open here, as a value that travels: a file, a socket, a pipe, a
 * device; on Windows any HANDLE.
 *
 *     // A server that accepts, and gives each client to a process that is free:
 *     spork_handle *h = spork_handle_new(client);               // a copy
 *     close(client);
 *     SPORK_MUST(spork_connection_send(worker, spork_pack(spork_move(h)), SPORK_FOREVER));
 *
 *     // The process:
 *     SPORK_MUST(spork_unpack(message, &h));
 *     int client = (int)spork_handle_detach(h);                 // ours to close
 *
 * It is an argument under every start method, a value in a message over a duplex connection, and an
 * argument of a thread. What is open is the same one for all: a file's place in it, its locks and
 * whether it blocks are shared, as after dup and DuplicateHandle.
 *
 * | | POSIX | Windows |
 * |---|---|---|
 * | what | any descriptor | any HANDLE that DuplicateHandle copies |
 * | a socket | a descriptor | `(spork_native)socket`, of the system's own providers |
 * | its user | - | calls WSAStartup itself |
 * | in a message | lies in it | stays the sender's until it is received (connection.h) |
 */
#ifndef SPORK_HANDLE_H
#define SPORK_HANDLE_H

#include "value.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A copy of a descriptor or HANDLE, private to this process until it is passed on. `native` stays
 * the caller's, who may close it at once.
 * @return NULL with a sentence: SPORK_INVALID: nothing is open by that number; SPORK_NO_SPACE: no
 *         more descriptors; SPORK_DENIED (Windows): it must not be copied; SPORK_NO_MEMORY.
 */
SPORK_API spork_handle *spork_handle_new(spork_native native);

/** The descriptor or HANDLE, to be used; it stays the object's. -1 for NULL, and for one that was
 *  not passed to this process. */
SPORK_API spork_native spork_handle_native(const spork_handle *handle);

/**
 * The descriptor or HANDLE, which is the caller's from now on; the object is freed, also one that
 * came in a message or as an argument. It is private still: the caller's exec does not pass it on
 * (FD_CLOEXEC, no inheritance). -1 for NULL, and for one that was not passed to this process.
 */
SPORK_API spork_native spork_handle_detach(spork_handle *handle);

/** Closes this process' copy. NULL is fine. Where the system's own close waits (SO_LINGER, a
 *  terminal, a file of a network), so does this, and with it what is started or made in other
 *  threads: better detach such a one, and close it. On Windows also a socket that was used as one:
 *  what closesocket does this does not. */
SPORK_API void spork_handle_free(spork_handle *handle);

#ifdef __cplusplus
}
#endif
#endif
