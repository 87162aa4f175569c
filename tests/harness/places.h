/* Places that a program goes into before it starts others: without its rights, without /proc, with
 * a root directory of its own, with other namespaces. Linux, and most need root. */
#ifndef HARNESS_PLACES_H
#define HARNESS_PLACES_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The places: "user" (another one), "no_proc", "root" (an empty directory), "pids" (its children
 * are in a new pid namespace), "users" (root of a user namespace), "closed" (all descriptors above
 * 2), "full" (no room for shared memory, which memfd_create refuses to make). A program that cannot go there ends with 77. */

/* PLACE: a child, its child, a queue, a connection and a kill work there as everywhere; prints
 * "works". Prints "main" first: once, as often as its main runs. */
int places_scenario_work(const char *place);
/* PLACE: prints the sentence of a start there that fails. */
int places_scenario_fail(const char *place);
/* PLACE: sends connections that nobody receives until that is refused; prints how. What was sent is
 * received then, and more can be sent. */
int places_scenario_flood(const char *place);
/* PLACE: a child outlasts what started it, when another directory is the present one; prints "main"
 * and "works". */
int places_scenario_last(const char *place);
/* PLACE: prints how the first start there goes. */
int places_scenario_first(const char *place);
/* PLACE: prints the pid of a child that stays. */
int places_scenario_stay(const char *place);

#ifdef __cplusplus
}
#endif
#endif
