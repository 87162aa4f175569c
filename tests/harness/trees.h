/* Participants of the tree, and the table itself, for tree_test.cpp. */
#ifndef SPORK_HARNESS_TREES_H
#define SPORK_HARNESS_TREES_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- targets ---- */

/* (writer, barrier) Joins, writes its id as uint32_t, ends at the barrier's end of file. */
int trees_join_and_hold(const spork_args *args);
/* (writer, barrier) Joins, leaves, writes the id that it had, ends at the barrier's end of file. */
int trees_leave_and_hold(const spork_args *args);
/* (writer, rounds) Joins and leaves so often; writes a trees_event after each joining and before each leaving. */
int trees_come_and_go(const spork_args *args);
typedef struct trees_event {
    uint32_t id;
    int32_t pid; /* negative: it is about to leave */
} trees_event;

/* ---- plain forks; POSIX only ---- */

/* A fork by the system: the child joins, writes its id as uint32_t and waits to be killed. Its pid. */
int trees_fork_and_hold(harness_end *writer);
/* Kills it and waits until it is dead, but does not reap it. */
bool trees_kill_unreaped(int pid);
bool trees_reap(int pid);

/* ---- the table, as src/tree.c lays it out ---- */

uint32_t trees_slot(uint32_t id);
uint32_t trees_generation(uint32_t id);
uint32_t trees_id(uint32_t slot, uint32_t generation);
/* Whether our own slot is where and what this file thinks. */
bool trees_layout_is_known(void);
/* Writes a slot: `started` is the generation that `start` belongs to; pid 0 makes it free. */
void trees_put(uint32_t slot, uint32_t generation, int pid, uint64_t start, uint32_t started);

#ifdef __cplusplus
}
#endif
#endif
