#ifndef _WIN32
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#endif
#include <stdatomic.h>
#include <stdlib.h>

#include "tree.h"
#include "trees.h"

/* ---- targets ---- */

static bool hold(harness_end *barrier)
{
    char byte;
    return harness_read(barrier, &byte, 1) == 0;
}

int trees_join_and_hold(const spork_args *args)
{
    harness_end *writer, *barrier;
    if (spork_unpack(args, harness_take(&writer), harness_take(&barrier)) != SPORK_OK) return 1;
    uint32_t id = spork__tree_self();
    return harness_write(writer, &id, sizeof id) && hold(barrier) ? 0 : 2;
}

int trees_leave_and_hold(const spork_args *args)
{
    harness_end *writer, *barrier;
    if (spork_unpack(args, harness_take(&writer), harness_take(&barrier)) != SPORK_OK) return 1;
    uint32_t id = spork__tree_self();
    spork__tree_leave();
    return harness_write(writer, &id, sizeof id) && hold(barrier) ? 0 : 2;
}

int trees_come_and_go(const spork_args *args)
{
    harness_end *writer;
    int rounds;
    if (spork_unpack(args, harness_take(&writer), &rounds) != SPORK_OK) return 1;
    for (int i = 0; i < rounds; i++) {
        trees_event event = {spork__tree_self(), spork_getpid()};
        if (event.id == 0 || !spork__tree_alive(event.id) || !harness_write(writer, &event, sizeof event)) return 2;
        event.pid = -event.pid;
        if (!harness_write(writer, &event, sizeof event)) return 3;
        spork__tree_leave();
        if (spork__tree_alive(event.id)) return 4;
    }
    return 0;
}

/* ---- plain forks ---- */

#ifdef _WIN32

int trees_fork_and_hold(harness_end *writer)
{
    (void)writer;
    return -1;
}

bool trees_kill_unreaped(int pid)
{
    (void)pid;
    return false;
}

bool trees_reap(int pid)
{
    (void)pid;
    return false;
}

#else

int trees_fork_and_hold(harness_end *writer)
{
    int pid = (int)fork();
    if (pid != 0) return pid;
    uint32_t id = spork__tree_self();
    if (!harness_write(writer, &id, sizeof id)) _exit(1);
    for (;;) pause();
}

bool trees_kill_unreaped(int pid)
{
    siginfo_t info;
    int result;
    if (kill(pid, SIGKILL) != 0) return false;
    do result = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

bool trees_reap(int pid)
{
    int status;
    return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

#endif

/* ---- the table ---- */

typedef struct line {
    _Atomic uint64_t who; /* generation << 32 | pid */
    _Atomic uint64_t start;
    _Atomic uint32_t started;
    uint32_t rest[11];
} line;

static line *slots(void)
{
    static line *known;
    spork_native handle;
    spork__block block;
    if (known != NULL) return known;
    if (spork__tree_open(&handle) != SPORK_OK || spork__os_block_open(&block, handle, 0) != SPORK_OK) return NULL;
    known = (line *)(void *)((char *)block.data + sizeof(line)); /* behind a header of the same size */
    return known;
}

uint32_t trees_slot(uint32_t id) { return id & (SPORK__TREE_SLOTS - 1); }
uint32_t trees_generation(uint32_t id) { return id >> SPORK__TREE_SLOT_BITS; }
uint32_t trees_id(uint32_t slot, uint32_t generation) { return generation << SPORK__TREE_SLOT_BITS | slot; }

bool trees_layout_is_known(void)
{
    uint32_t id = spork__tree_self();
    if (id == 0 || slots() == NULL) return false;
    line *own = &slots()[trees_slot(id)];
    uint64_t who = atomic_load(&own->who);
    return (int)(uint32_t)who == spork_getpid() && who >> 32 == trees_generation(id) &&
           atomic_load(&own->start) == spork__os_start_time(spork_getpid()) && atomic_load(&own->started) == who >> 32;
}

void trees_put(uint32_t index, uint32_t generation, int pid, uint64_t start, uint32_t started)
{
    line *s = &slots()[index];
    atomic_store(&s->who, (uint64_t)generation << 32 | (uint32_t)pid);
    atomic_store(&s->start, start);
    atomic_store(&s->started, started);
}
