/* Targets for the tests of waiting. */
#ifndef HARNESS_WAITS_H
#define HARNESS_WAITS_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

int target_send_later(const spork_args *args); /* connection, ms: sends a number then */
int target_put_later(const spork_args *args);  /* queue, ms: puts a number then */
int target_get_later(const spork_args *args);  /* queue, ms: gets a message then */
int target_hold_both(const spork_args *args);  /* queue, connection: for ever */
int target_drain(
    const spork_args *args); /* from, to, way: hands numbers on until the end, waiting in one of four ways */

#ifdef __cplusplus
}
#endif
#endif
