/* spork_init and the child's first steps; the record it reads is in record.h. */
#ifndef SPORK_BOOTSTRAP_H
#define SPORK_BOOTSTRAP_H

#include "platform.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Was spork_init called, and has it returned? Else SPORK_BAD_STATE with the lines to add. */
spork_status spork__bootstrap_check(const char *call);
/* What a nursery runs (spork__os_nursery_new). Does not return. */
void spork__bootstrap_nursery(void *record, size_t size, spork_native ack);

#ifdef __cplusplus
}
#endif
#endif
