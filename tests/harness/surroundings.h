/* Programs in surroundings that a program does not choose: signals that were ignored before it
 * began, system calls that are refused, and what its children do to what they have in common.
 * POSIX. */
#ifndef HARNESS_SURROUNDINGS_H
#define HARNESS_SURROUNDINGS_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- scenarios; they end with 0 if all is well ---- */

/* Begins with SIGHUP, SIGINT, SIGQUIT and SIGPIPE ignored, and SIGTERM, and has a handler for the
 * first since. Its child, and that one's, find them ignored, and all others not. */
int surroundings_scenario_ignored(const char *argument);
/* HOW ("exit", "must", "twice"): reads a line of its input, writes one into a file's buffer, and a
 * child ends so. Reads on, and ends; prints "handler" at its exit. */
int surroundings_scenario_exit(const char *how);
/* A child prints its pid and executes a program that stays. */
int surroundings_scenario_exec(const char *argument);
/* Says of three children what standard streams they have, while its own change. */
int surroundings_scenario_streams(const char *argument);
/* "CALL ERROR": with that system call refused by that error a child, a queue and a connection do
 * what they always do. 77: it cannot be refused here. */
int surroundings_scenario_deny(const char *argument);
/* Programs that the targets below execute. */
int surroundings_scenario_list(const char *number);
int surroundings_scenario_read(const char *number);
/* Leaves a daemon behind that ignores SIGTERM. */
int surroundings_scenario_daemon(const char *argument);

/* ---- what works everywhere ---- */

/* A child, a queue, a connection and a kill do what they always do: 0, else which one does not. */
int surroundings_work(void);

/* ---- targets ---- */

/* number: executes a program that reads "hello" from that descriptor; it ends with 0. */
int surroundings_read_after_exec(const spork_args *args);
/* number: executes a program that writes to that descriptor how many others above 2 it has. */
int surroundings_list_after_exec(const spork_args *args);
/* number: writes a byte to that descriptor. */
int surroundings_write(const spork_args *args);

#ifdef __cplusplus
}
#endif
#endif
