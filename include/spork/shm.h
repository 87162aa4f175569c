/**
 * @file shm.h
 * Shared memory: a block of bytes that several processes see.
 *
 *     spork_shm *m = spork_shm_new(1000 * sizeof(double));
 *     double *numbers = spork_shm_data(m);
 *     spork_process *p = spork_process_new(worker, spork_pack(m, from, to));      // in the worker: spork_unpack(args, &m, …)
 *
 * The memory is zeroed, and aligned to 4 096 bytes at least. It is there when the call returns, or the call says SPORK_NO_SPACE: a
 * process is never killed (SIGBUS) later because there was none. Sizes are of 64 bits where pointers are. Addresses differ from
 * process to process: no pointers in it. What several change at once needs a lock (sync.h), or C11's atomics.
 *
 * ## Anonymous and named
 * An anonymous block is given to other processes as an argument, or over a duplex connection. The system frees it when the last
 * of them has let go of it, however they end: nothing can be left behind.
 *
 * A named one can be opened by any program of the same user on this machine:
 *
 * | lifetime      | the name exists                                | and what is left after a kill                           |
 * |---------------|------------------------------------------------|---------------------------------------------------------|
 * | SPORK_CREATOR | until the process that made it frees it, or ends | nothing (macOS, BSD: a file that the next user of any name removes) |
 * | SPORK_MANUAL  | until spork_shm_remove, beyond all processes   | the block, as wanted; never half of one                 |
 *
 * Who has it open keeps the memory, also when the name is gone. Windows cannot take a name away from those who have the block open: with
 * SPORK_CREATOR it lasts as long as anybody has.
 *
 * Names are of letters, digits, '.', '_' and '-', up to 64, the first one no '.'; capitals matter. Another user's blocks are not found. On Linux SPORK_CREATOR needs no file system at all, and the
 * processes have to share pid and network namespace; SPORK_MANUAL is a file in /dev/shm, or in /tmp where that lacks
 * the room; on Windows a file in the user's temporary folder.
 */
#ifndef SPORK_SHM_H
#define SPORK_SHM_H

#include "value.h"

#ifdef __cplusplus
extern "C" {
#endif

/** When a name ends. */
typedef enum spork_lifetime {
    SPORK_CREATOR = 0, /**< the name ends with the process that made it */
    SPORK_MANUAL = 1   /**< spork_shm_remove ends it */
} spork_lifetime;

/** An anonymous block of `size` bytes. NULL with a sentence: SPORK_INVALID: no bytes; SPORK_NO_SPACE, SPORK_NO_MEMORY. */
SPORK_API spork_shm *spork_shm_new(size_t size);

/** A named one. NULL with a sentence: SPORK_EXISTS; SPORK_INVALID: the name; otherwise as spork_shm_new. */
SPORK_API spork_shm *spork_shm_create(const char *name, size_t size, spork_lifetime lifetime);

/**
 * Opens a named block, as large as it was made.
 * NULL with a sentence: SPORK_NOT_FOUND; SPORK_DENIED; SPORK_INVALID: the name; SPORK_BAD_MESSAGE: not made by this version of Spork.
 */
SPORK_API spork_shm *spork_shm_open(const char *name);

/**
 * Removes the name of a block that was made with SPORK_MANUAL. SPORK_NOT_FOUND: there is none of that name; SPORK_BAD_STATE: it is
 * its creator's. Windows: SPORK_DENIED while somebody has it open.
 */
SPORK_API spork_status spork_shm_remove(const char *name);

/** Where it lies in this process, until it is freed; NULL for a block that this process was not given. */
SPORK_API void *spork_shm_data(const spork_shm *shm);
/** Its size in bytes, as asked for. */
SPORK_API size_t spork_shm_size(const spork_shm *shm);
/** Lets go of it in this process; the data must not be touched any more. NULL is fine. */
SPORK_API void spork_shm_free(spork_shm *shm);

#ifdef __cplusplus
}
#endif
#endif
