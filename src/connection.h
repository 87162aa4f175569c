#ifndef SPORK_SRC_CONNECTION_H
#define SPORK_SRC_CONNECTION_H

#include <spork/connection.h>

#include "object.h"

/* To be known before a child's arguments are read. */
extern const spork__kind spork__connection_kind;

/* For wait.c: whether these events can be waited for; have come; and what tells of them. */
spork_status spork__connection_check_wait(spork_connection *connection, int events, const char *call);
bool spork__connection_ready(spork_connection *connection, int events);
spork_native spork__connection_handle(spork_connection *connection, bool sending);

#endif
