#ifndef SPORK_SRC_SHM_H
#define SPORK_SRC_SHM_H

#include <spork/shm.h>

#include "object.h"

#ifdef __cplusplus
extern "C" {
#endif

/* To be known before a child's arguments are read. */
extern const spork__kind spork__shm_kind;

/* In a child of a plain fork: the names are its parent's. Async-signal-safe. */
void spork__shm_forked(void);

#ifdef __cplusplus
}
#endif
#endif
