/* What the system has open, on either system: for handle_test.cpp and wait_test.cpp. The targets'
 * values are in the comments; they return 0 if all is well. */
#ifndef SPORK_HARNESS_HANDLES_H
#define SPORK_HARNESS_HANDLES_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- of the system ---- */

bool handles_pipe(spork_native ends[2]); /* reader, writer; one that blocks, without messages */
/* Two stream sockets that are connected: of a network's where `network`, on Windows always. */
bool handles_sockets(spork_native ends[2], bool network);
bool handles_socket(spork_native *socket);            /* of a network, not connected */
bool handles_listen(spork_native *socket, int *port); /* of this machine alone */
bool handles_connect(spork_native *socket, int port); /* does not wait for its end */
bool handles_accept(spork_native listening, spork_native *socket);
bool handles_fill(spork_native socket);                           /* until no more can be sent */
bool handles_send_urgent(spork_native socket);                    /* a byte out of band */
bool handles_send(spork_native socket, const char *text);         /* all of it */
int handles_receive(spork_native socket, char *buffer, int size); /* what is there; 0: the end */
bool handles_write(spork_native native, const char *text);        /* no socket */
int handles_read(spork_native native, char *buffer, int size);
bool handles_is_private(spork_native native); /* no other program gets it by a start */
void handles_close(spork_native native);
void handles_close_socket(spork_native socket);

/* ---- targets ---- */

int handles_say(const spork_args *args);   /* handle, text: writes it */
int handles_greet(const spork_args *args); /* handle of a socket, text: sends it */
/* duplex connection: into each handle that comes it writes "taken", until the end */
int handles_take(const spork_args *args);
/* handle, directions, handle: makes connections of them (one, if both directions are the first's),
 * and gives back each message */
int handles_echo(const spork_args *args);
int handles_not_shared(const spork_args *args); /* address of a handle: 100 + status */
/* POSIX: handle of a socket, for all standard streams: the same, until "bye"; then it frees that
 * connection, and stays */
int handles_inetd(const spork_args *args);
/* POSIX: handles for 0 and 1: gives back each message from there to there, and prints noise */
int handles_standard(const spork_args *args);

#ifdef __cplusplus
}
#endif
#endif
