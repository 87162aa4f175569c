/* A storm on connections: pairs of processes talk, one or both of a pair are killed at any moment, and what the other then sees is compared
 * with what was sent. */
#ifndef HARNESS_CONNECTION_STORM_H
#define HARNESS_CONNECTION_STORM_H

#include "harness.h"
#include "tally.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CONNECTION_PAIRS = 8 };

typedef struct connection_plan {
    harness_budget deaths;
    int pairs;   /* at a time, up to CONNECTION_PAIRS */
    bool echo;   /* each message goes back, over a duplex connection; else a pipe has one direction */
    int largest; /* bytes of a message, up to 1 MiB */
    unsigned seed;
} connection_plan;

typedef struct connection_result {
    int deaths;
    long sent, got; /* messages that a send accepted; that were received */
    long lost;      /* sent, but whom they were for was killed */
    long faults[TALLY_FAULTS];
    char first[200];
} connection_result;

connection_result connection_storm(const connection_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
