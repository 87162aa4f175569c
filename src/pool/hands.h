/* The workers of this machine as processes, or as threads: starting them, ending them, and what became of them. */
#ifndef SPORK_POOL_HANDS_H
#define SPORK_POOL_HANDS_H

#include "crew.h"
#include "executor.h"

#ifndef __cplusplus

typedef struct spork__hands spork__hands;

/* `initializer`: 1 + its number in the crew; 0: none. `call`: see executor.h. NULL with a
 * sentence. */
spork__hands *spork__hands_new(const spork_pool_options *options, spork__crew *crew,
                               const char *name, uint32_t initializer, const spork__chime *call);
/* Begins to start a worker in a place where none is. */
spork_status spork__hands_start(spork__hands *hands, unsigned worker);
/* Whether it has begun to take tasks; told once. */
bool spork__hands_is_up(spork__hands *hands, unsigned worker, const spork__crew_worker *place);
/* Whether it has ended, or never began to live. Asks the system for those only that have fired. */
bool spork__hands_has_ended(spork__hands *hands, unsigned worker, const spork__crew_worker *place);
/* One that has: how. Nothing is in that place any more. */
void spork__hands_bury(spork__hands *hands, unsigned worker, const spork__crew_worker *place, spork__event *event);
void spork__hands_stop(spork__hands *hands, unsigned worker, spork__stop how);
size_t spork__hands_handles(spork__hands *hands, spork__wait_handle *list, size_t room, bool *all);
/* The handle of that one told something; SIZE_MAX: any may have. */
void spork__hands_fired(spork__hands *hands, size_t worker);
int spork__hands_pid(const spork__hands *hands, unsigned worker);
/* All have ended. */
void spork__hands_close(spork__hands *hands);

#endif
#endif
