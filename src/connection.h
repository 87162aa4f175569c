#ifndef SPORK_SRC_CONNECTION_H
#define SPORK_SRC_CONNECTION_H

#include <spork/connection.h>

#include "object.h"

/* To be known before a child's arguments are read. */
extern const spork__kind spork__connection_kind;

#endif
