/* Code that must not ask the system for anything. */
#ifndef HARNESS_QUIET_H
#define HARNESS_QUIET_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether this system can forbid a process all system calls (Linux: seccomp). */
bool harness_can_forbid_calls(void);
/* Runs every uncontended call of sync.h in a child that is killed by its first system call; its exit code, 0: it was not. */
int harness_quiet_sync(void);
/* The same for a call that is one: -9. */
int harness_quiet_not(void);

#ifdef __cplusplus
}
#endif
#endif
