/* What can be waited for among other things: each concept says how, wait.c does the rest. */
#ifndef SPORK_WAITABLE_H
#define SPORK_WAITABLE_H

#include <spork/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct spork__waitable {
    int kind; /* of the items */
    /* Whether these events of it can be waited for. */
    spork_status (*check)(const spork_wait_item *item, const char *call);
    /* Whether one of them has come. `ask`: also what takes longer to find out. */
    bool (*ready)(const spork_wait_item *item, bool ask);
    /* The handle that tells of one event; what has to be done before it is waited on is done. SPORK__NO_HANDLE: none does. */
    spork_native (*handle)(const spork_wait_item *item, bool writing);
    /* Of what has a bell, whose sound is shared with others, and may be stale, or be lost with a process: makes the handle fresh, and wakes all who
     * wait on it. Else NULL. */
    void (*quiet)(const spork_wait_item *item, bool writing);
    void (*call)(const spork_wait_item *item, bool writing);
    /* The wait is over: what `handle` began ends. NULL: it begins nothing. */
    void (*leave)(const spork_wait_item *item);
} spork__waitable;

extern const spork__waitable spork__connection_waitable, spork__queue_waitable, spork__event_waitable;
/* What stands above wait.c makes itself known. */
void spork__waitable_add(const spork__waitable *waitable);

#ifdef __cplusplus
}
#endif
#endif
