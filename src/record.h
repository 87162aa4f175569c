/* The bootstrap record, which tells a child what to be. Built by the parent, checked and read by the child. */
#ifndef SPORK_RECORD_H
#define SPORK_RECORD_H

#include "image.h"
#include "object.h"
#include "platform.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A child, described; in the parent from its process object, in the child from its record. */
typedef struct spork__startup {
    const char *name;
    uint64_t nonce; /* 0 in a fork server's requests: their channel is private */
    bool is_server;
    bool use_run;
    bool outlive_parent;
    int parent_pid;
    uint64_t parent_start;
    const char *parent_name;
    const spork__function *function; /* NULL: none, of a server */
    void *self;
    size_t self_size;
    spork_args args;
    const spork__parcels *parcels; /* of args' objects; parent only */
    spork__limits limits;
    uint32_t ignored;          /* signals, see spork__os_ignored */
    /* The default for its own children, if the program has set one; else they start as it does. */
    spork_start_method method, started_by;
    bool daemon;
    const char *executable;    /* the same; NULL */
    int64_t *handles;          /* as the child numbers them */
    size_t handle_count;       /* given */
    size_t pass_count;
    const spork_native *pass; /* parent only; in the child they follow the given ones in `handles` */
} spork__startup;

/* Size of a record; and the record itself, into `bytes` of that size, aligned to 16. *handles: where the child's handle
 * numbers are to be written, handle_count of them. */
spork_status spork__record_size(const spork__startup *startup, size_t *size);
spork_status spork__record_write(const spork__startup *startup, void *bytes, size_t size, int64_t **handles);
/* Reads a record in place. SPORK_BAD_MESSAGE for everything that write did not write. */
spork_status spork__record_read(void *bytes, size_t size, spork__startup *startup);
/* Where parent and fork server share a word, within a record. */
void *spork__record_control(void *bytes);

#ifdef __cplusplus
}
#endif
#endif
