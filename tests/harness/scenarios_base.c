/* Programs of their own for base_test.cpp, tree_test.cpp and fault_test.cpp. They call spork_init themselves. */
#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <io.h>
#else
#define _GNU_SOURCE
#include <sys/wait.h>
#include <unistd.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basics.h"
#include "fault.h"
#include "faults.h"
#include "tree.h"
#include "trees.h"

int harness_scenario_base(const char *name, const char *argument, int *code);

/* stderr into the same pipe: only stdout is read by the test. */
static void join_streams(void)
{
#ifdef _WIN32
    _dup2(1, 2);
    SetStdHandle(STD_ERROR_HANDLE, GetStdHandle(STD_OUTPUT_HANDLE));
#else
    dup2(1, 2);
#endif
}

/* ---- base ---- */

static int must(const char *argument)
{
    join_streams();
    SPORK_MUST(spork_init(0, NULL));
    printf("before\n"); /* into a pipe: not written yet */
    SPORK_MUST(SPORK_OK);
    if (strcmp(argument, "fail") == 0) SPORK_MUST(spork_set_start_method((spork_start_method)77));
    printf("after\n");
    return 0;
}

static int log_lines(const char *argument)
{
    join_streams();
    SPORK_MUST(spork_init(0, NULL));
    if (strcmp(argument, "child") != 0) {
        basics_log_all();
        return 0;
    }
    spork_process *p = spork_process_new(basics_log, SPORK_NO_ARGS);
    SPORK_MUST(spork_process_start(p));
    SPORK_MUST(spork_process_join(p, SPORK_FOREVER));
    spork_process_free(p);
    return 0;
}

static int fork_once(const char *argument)
{
    (void)argument;
    SPORK_MUST(spork_init(0, NULL));
    printf("one line\n");
    printf("half a line,"); /* a pipe is written when the buffer is full or the program ends: both are still here */
    int pid = spork_fork();
    if (pid < 0) {
        printf(" %d %s %s\n", pid, spork_status_name(spork_last_status()), spork_error());
    } else if (pid == 0) {
        printf(" the child\n");
    } else {
#ifndef _WIN32
        while (waitpid(pid, NULL, 0) != pid) {}
#endif
        printf("the parent\n");
    }
    return 0;
}

static int takes_a_number(const spork_args *args)
{
    int n;
    return spork_unpack(args, &n) == SPORK_OK ? n : 1;
}

/* A child whose target wants a number, and gets the argument: one, or a text. */
static int mistaken(const char *argument)
{
    join_streams();
    SPORK_MUST(spork_init(0, NULL));
    int n = atoi(argument);
    spork_process *p = n != 0 ? spork_process_new(takes_a_number, spork_pack(n)) : spork_process_new(takes_a_number, spork_pack(argument));
    SPORK_MUST(spork_process_start(p));
    SPORK_MUST(spork_process_join(p, SPORK_FOREVER));
    printf("exit code %d\n", spork_process_exitcode(p));
    spork_process_free(p);
    return 0;
}

static int versions(const char *argument)
{
    int version = atoi(argument);
    spork_status status = spork__init(0, NULL, version);
    printf("%s %s\n", spork_status_name(status), status == SPORK_OK ? "" : spork_error());
    return 0;
}

/* ---- tree: what takes a table that is full, or worn out ---- */

static int tree_full(const char *argument)
{
    (void)argument;
    SPORK_MUST(spork_init(0, NULL));
    if (!trees_layout_is_known()) return 2;
    spork__tree_leave();
    for (uint32_t slot = 0; slot < SPORK__TREE_SLOTS; slot++) trees_put(slot, 5, spork_getpid(), 0, 0);
    uint32_t id = spork__tree_self();
    printf("%u %s %s\n", (unsigned)id, spork_status_name(spork_last_status()), spork_error());
    trees_put(17, 5, 0, 0, 0);
    id = spork__tree_self();
    printf("slot %u generation %u\n", (unsigned)trees_slot(id), (unsigned)trees_generation(id));
    return 0;
}

static int tree_worn(const char *argument)
{
    (void)argument;
    static const uint32_t last[] = {(1u << SPORK__TREE_GENERATION_BITS) - 2, (1u << SPORK__TREE_GENERATION_BITS) - 1,
                                    UINT32_MAX - 1, UINT32_MAX};
    SPORK_MUST(spork_init(0, NULL));
    if (!trees_layout_is_known()) return 2;
    for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
        spork__tree_leave();
        for (uint32_t slot = 0; slot < SPORK__TREE_SLOTS; slot++) trees_put(slot, last[i], 0, 0, 0);
        uint32_t id = spork__tree_self();
        printf("%u %s\n", (unsigned)trees_generation(id), id != 0 && spork__tree_alive(id) ? "alive" : "dead");
    }
    return 0;
}

static int tree_reused_number(const char *argument)
{
    (void)argument;
    SPORK_MUST(spork_init(0, NULL));
    if (!trees_layout_is_known()) return 2;
    uint64_t start = spork__os_start_time(spork_getpid());
    trees_put(100, 5, spork_getpid(), start, 5);     /* another participant of this number, started as we: alive */
    trees_put(101, 5, spork_getpid(), start - 1, 5); /* the same number, but it began at another time */
    trees_put(102, 5, spork_getpid(), start - 1, 4); /* has just taken the slot: the time is its predecessor's */
    for (uint32_t slot = 100; slot < 103; slot++)
        printf("%s\n", spork__tree_alive(trees_id(slot, 5)) ? "alive" : "dead");
    return 0;
}

/* ---- the list ---- */

static const struct {
    const char *name;
    int (*run)(const char *argument);
} scenarios[] = {
    {"must", must},
    {"log", log_lines},
    {"fork", fork_once},
    {"versions", versions},
    {"mistaken", mistaken},
    {"tree-full", tree_full},
    {"tree-worn", tree_worn},
    {"tree-reused-number", tree_reused_number},
    {"cold-fault", faults_cold},
};

int harness_scenario_base(const char *name, const char *argument, int *code)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        if (strcmp(scenarios[i].name, name) != 0) continue;
        *code = scenarios[i].run(argument);
        return 1;
    }
    return 0;
}
