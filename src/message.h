/* A message on its way in: how much of it is there, and where. It grows as bytes come, so that a length which somebody made up costs
 * nothing. Its own room has space before it for the spork_args that it may become. */
#ifndef SPORK_MESSAGE_H
#define SPORK_MESSAGE_H

#include "object.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SPORK__MESSAGE_HANDLES = SPORK_MAX_VALUES * SPORK__PARCEL_HANDLES };

typedef struct spork__message {
    unsigned char *data; /* aligned to 16, unless it is lent */
    size_t room, have;
    uint64_t size; /* once it is known */
    bool known, whole;
    bool lent;  /* `data` is the user's buffer */
    bool ended; /* no more will come */
    bool robbed; /* handles that came with it were lost: this process has as many as it may have */
    unsigned char header[12];
    size_t header_have;
    spork_native handles[SPORK__MESSAGE_HANDLES]; /* that came with it */
    size_t handle_count;
} spork__message;

/* Nothing has come yet. */
void spork__message_begin(spork__message *message);
/* Begins to receive into a buffer of the user's; not after a part has come. */
void spork__message_lend(spork__message *message, void *buffer, size_t size);
/* What has come moves to room of its own. */
spork_status spork__message_take_back(spork__message *message);
/* Room for more, up to its size: what it is worth to believe. SPORK_NO_MEMORY: nothing changed. */
spork_status spork__message_grow(spork__message *message);
/* At least that much room in all. */
spork_status spork__message_reserve(spork__message *message, size_t room);
/* The whole message's room, with the place for args before it, is the caller's: spork__free. */
spork_args *spork__message_release(spork__message *message);
/* Forgets it, and closes its handles. */
void spork__message_drop(spork__message *message);
/* Where the args of a message in its own room will be. */
spork_args *spork__message_args(const spork__message *message);

#ifdef __cplusplus
}
#endif
#endif
