/* spork_init and the child's first steps; the record it reads is in record.h. */
#ifndef SPORK_BOOTSTRAP_H
#define SPORK_BOOTSTRAP_H

#include <spork/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Was spork_init called, and has it returned? Else SPORK_BAD_STATE with the lines to add. */
spork_status spork__bootstrap_check(const char *call);

#ifdef __cplusplus
}
#endif
#endif
