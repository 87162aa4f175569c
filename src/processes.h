/* Processes inside the library. */
#ifndef SPORK_SRC_PROCESS_H
#define SPORK_SRC_PROCESS_H

#include <spork/process.h>

#include "object.h"
#include "platform.h"
#include "record.h"
#include "shutdown.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SPORK__PATH_MAX = 1024 };

typedef enum spork__process_state {
    SPORK__PROCESS_NEW,
    SPORK__PROCESS_STARTING,
    SPORK__PROCESS_RUNNING,
    SPORK__PROCESS_ENDED
} spork__process_state;

struct spork_process {
    int owner; /* the process that made it */
    enum { SPORK__OUR_CHILD, SPORK__OURSELVES, SPORK__OUR_PARENT } relation;
    spork__process_state state;
    bool freed; /* the user let go; the list still holds it, to reap */
    bool daemon, outlive_parent;
    bool killed_at_end;
    bool hidden;               /* not among spork_active_children: it is Spork's own */
    spork_start_method method; /* SPORK_DEFAULT: asked at start */
    spork__nursery *nursery;   /* of SPORK_FORKSERVER: its server; NULL: the program's */
    spork__limits limits;
    char *name;
    spork_target target;
    int (*run)(void *self, const spork_args *args);
    void *self;
    size_t self_size;
    spork_args *args;
    spork_native *pass;
    size_t pass_count;
    spork__child child;
    spork__end end;
    uint64_t start_time; /* the parent's, to know it by */
    struct spork_process *next, *previous;
};

/* Starting is split, so that many can be launched before the first is awaited. launch: the child exists (or not, with the
 * reason). await: it took over, or the reason why it did not, within that time; after a failure it is gone and reaped, and may be
 * launched again. */
spork_status spork__process_launch(spork_process *process);
spork_status spork__process_await(spork_process *process, int timeout_ms);
/* How long a child may take for that. */
int spork__process_patience(void);
/* A nursery from which children can be launched. */
spork_status spork__process_nursery(spork__nursery **nursery);

/* SPORK_OK if it is a child that this process made; SPORK_INVALID, SPORK_BAD_STATE, SPORK_NOT_YOURS. */
spork_status spork__process_check(const spork_process *process, const char *call);
/* Reaps what was let go and has ended. */
void spork__process_sweep(void);
/* Of one whose start failed: its child, which has been killed, is reaped when it ends. */
void spork__process_let_go(spork_process *process);
/* From NEW to STARTING, for one thread only, and onto the list: a fork in another thread then closes its descriptors. */
spork_status spork__process_claim(spork_process *process);
/* How that went: RUNNING, or NEW again. */
void spork__process_settle(spork_process *process, spork__process_state state);
/* The settings that children inherit; "" if no executable was set. */
void spork__process_settings(spork_start_method *method, char executable[SPORK__PATH_MAX]);
/* "died of signal 9" */
const char *spork__exit_text(int code, char text[64]);

/* At the end of the process. One that is left, a daemon or not: what to wait on, and its name;
 * false: there is none. What has ended is reaped. */
bool spork__process_left(bool daemons, spork__child *child, char *name, size_t size);
void spork__processes_terminate_daemons(void);
/* Kills one of the daemons that have not ended, once each; false: there is none any more. */
bool spork__process_kill_daemon(char *name, size_t size);

/* In a child: this is who we are, and who our parent is. */
spork_status spork__process_become(const spork__startup *startup);
/* Async-signal-safe, in every forked child: its parent's children are not its own. */
void spork__process_forget_all(void);

#ifdef __cplusplus
}
#endif
#endif
