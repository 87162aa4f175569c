/* Failing on purpose. All allocation goes through alloc.c and all system calls through the platform's files; both ask here
 * first. In builds without SPORK_FAULTS (what users get) the question is a constant and costs nothing. */
#ifndef SPORK_FAULT_H
#define SPORK_FAULT_H

#include <stdbool.h>

#include "spork_config.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum spork__fault_door { SPORK__FAULT_ALLOC, SPORK__FAULT_SYSTEM, SPORK__FAULT_DOORS } spork__fault_door;

#if SPORK_FAULTS
/* Lets the n-th call (from 1) through that door fail, for the calling thread; 0 lets all pass. `code` is what a failing
 * system call reports. `sticky`: all from the n-th on fail. */
void spork__fault_arm(spork__fault_door door, long nth, int code, bool sticky);
/* How many calls went through since it was armed. */
long spork__fault_count(spork__fault_door door);
/* Shall this call fail? */
bool spork__fault(spork__fault_door door);
int spork__fault_code(void);
#else
#define spork__fault(door) false
#define spork__fault_code() 0
#endif

#ifdef __cplusplus
}
#endif
#endif
