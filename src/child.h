/* The life of a child: who it is, what it runs, how it ends. */
#ifndef SPORK_CHILD_H
#define SPORK_CHILD_H

#include "platform.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a child runs. */
typedef struct spork__work {
    spork_target target;
    int (*run)(void *self, const spork_args *args);
    void *self;
    spork_args *args;
    bool forked; /* leak checkers would take the parent's memory for this process' */
} spork__work;

/* Runs it and ends the process. Does not return. */
void spork__child_run(const spork__work *work);
/* Whether this process is a child of Spork; only then spork_at_child_exit means something. */
void spork__child_is_one(void);

#ifdef __cplusplus
}
#endif
#endif
