/* What base_test.cpp needs of C and of the system: targets, and calls that each system names differently. */
#ifndef SPORK_HARNESS_BASICS_H
#define SPORK_HARNESS_BASICS_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- targets ---- */

/* (writer) Writes what it sees as a basics_sight. */
int basics_look(const spork_args *args);
typedef struct basics_sight {
    int pid, system_pid, parent, unused; /* written as a whole: nothing is between them */
    double time;
} basics_sight;

/* () Binds itself to one CPU; exit code: how many spork_cpu_count then says. 200: the system did not let it. */
int basics_use_one_cpu(const spork_args *args);
/* (text size) The same; exit code 0 if the sentence blames the affinity mask. */
int basics_explain_one_cpu(const spork_args *args);
/* () */
int basics_nothing(const spork_args *args);
/* () Writes one log line of each level; the second returns basics_lines then. */
int basics_log(const spork_args *args);
int basics_log_counted(const spork_args *args);

/* ---- this process ---- */

/* NULL removes it. */
void basics_setenv(const char *name, const char *value);
/* As the system tells them. */
int basics_system_pid(void);
int basics_system_parent(void);
/* Sleeps by spork_sleep while a signal comes every 5 ms (not on Windows); seconds that it took. */
double basics_sleep_among_signals(int ms);
/* One log line of each level, "an error", "a warning", "an info" and "a debug". */
void basics_log_all(void);
/* A callback that counts the lines of the process that `user` names. */
void basics_count_lines(spork_log_level level, const char *process, int pid, const char *text, void *user);
extern int basics_lines;

/* Whether the pieces of `pattern`, which stars separate, are in `text` in this order. */
bool basics_like(const char *text, const char *pattern);

/* Numbers that no enumerator has; C lets an enum hold them. */
const char *basics_status_name(int number);
spork_status basics_wrong_method(int number);

/* ---- plain forks: POSIX only; they give -1 on Windows ---- */

/* In the child: writes its own basics_sight, ends. The child's exit code, -signal. */
int basics_fork_and_look(harness_end *writer);
/* By the system's own fork instead of spork_fork. */
int basics_system_fork_and_look(harness_end *writer);
/* In the child: joins `process`, which is its parent's; the exit code is the status. */
int basics_fork_and_join(spork_process *process);
/* In the child: starts a process of its own that ends with `code`, and ends with that one's exit code. */
int basics_fork_and_start(int code);

#ifdef __cplusplus
}
#endif
#endif
