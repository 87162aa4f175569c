#ifndef SPORK_SRC_HANDLE_H
#define SPORK_SRC_HANDLE_H

#include <spork/handle.h>

#include "object.h"

/* To be known before a child's arguments are read. */
extern const spork__kind spork__handle_kind;

#endif
