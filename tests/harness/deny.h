/* Programs that are refused a system call, as by an older kernel or a container's filter, with all
 * processes that they start. Linux; elsewhere nothing can be refused. */
#ifndef HARNESS_DENY_H
#define HARNESS_DENY_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "CALL ERROR": the name of a system call, and of the error by which it is refused from now on:
 * ENOSYS, EPERM or EACCES. False: it cannot be refused here. */
bool harness_deny(const char *call_and_error);
/* What SPORK_TEST_DENY says, if it is set. Ends this process with 77 if that cannot be refused:
 * whoever asked for it shall not take other results for an answer. */
void harness_deny_as_told(void);
/* Whether SPORK_TEST_DENY names that call; whether it says anything. */
bool harness_denies(const char *call);
bool harness_denies_any(void);

#ifdef __cplusplus
}
#endif
#endif
