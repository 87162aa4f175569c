/* Programs whose children wait for an end that their parent has, when it ends. */
#ifndef HARNESS_ENDINGS_H
#define HARNESS_ENDINGS_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Children get, put, receive (over a pipe, and a duplex one) and send, until they are told that
 * nobody is there any more, and print how. Threads of the program's own wait for ever meanwhile. */
int endings_scenario_wait(const char *argument);
/* A handler that runs when all is over prints how it gets what a child has put and sent. */
int endings_scenario_late(const char *argument);
/* A child gets until its only producer, a daemon, is ended. */
int endings_scenario_daemon(const char *argument);
/* A child asks a daemon that serves it, once their parent is about to end; it prints the answer. */
int endings_scenario_served(const char *argument);

#ifdef __cplusplus
}
#endif
#endif
