/* What the tests need of a machine: other programs, descriptors, memory, and things that travel. The scenarios are C11 in the other
 * files of this folder; GoogleTest only asserts. Nothing here is part of Spork. */
#ifndef HARNESS_H
#define HARNESS_H

#include <spork/spork.h>

#include "budget.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- this process ---- */

/* Open descriptors (POSIX) or the number of handles (Windows, list stays empty). */
int harness_descriptors(int *list, int room);
/* Another handle for the same thing. */
spork_native harness_copy(spork_native handle);
/* Mapped shared memory, in pieces of the address space; 0 where the system does not tell. */
int harness_mappings(void);
/* Children that ended and were not reaped. 0 on Windows. */
int harness_zombies(void);
/* Whether a child has ended, and how, as spork_process_exitcode tells it. It stays a zombie.
 * HARNESS_NOT_OURS: it is another's child, or was reaped; always on Windows. */
typedef enum harness_life { HARNESS_RUNS, HARNESS_ENDED, HARNESS_NOT_OURS } harness_life;
harness_life harness_zombie(int pid, int *exitcode);
#ifdef __linux__
/* A process that traces the next child of this one, and, when that is dead, lets it go after so many ms. Its pid; it ends with 0 if it
 * could do that. */
int harness_trace_next_child(int ms);
#endif
long harness_rss_kib(void);
/* Takes so much memory, and writes on it; it is never freed. False: there is no more. */
bool harness_use_memory(size_t size);
/* Whether that process exists (no zombie). */
bool harness_pid_exists(int pid);
/* Whether it is stopped, as by SIGSTOP. Linux; false elsewhere. */
bool harness_pid_stopped(int pid);
/* Sleeps until `done(user)`, or until the patience is over; whether it was done. */
bool harness_until(bool (*done)(void *user), void *user);
/* Of a number that no enumerator has, which C++ may not hold. */
spork_status harness_set_start_method(int number);
/* Whether this runs under wine. */
bool harness_wine(void);
/* Sanitizers, valgrind and MALLOC_PERTURB_: they use memory that the program would not. */
bool harness_instrumented(void);

typedef struct harness_thread harness_thread;
harness_thread *harness_thread_start(void (*fn)(void *user), void *user);
void harness_thread_join(harness_thread *thread);
/* Sets a variable in the environment; NULL removes it. */
void harness_setenv(const char *name, const char *value);
/* Makes that end this process' standard input. */
struct harness_end;
void harness_stdin(struct harness_end *end);

/* ---- this program, run anew as another program ---- */

typedef struct harness_program harness_program;
/* Runs this test program with `--scenario NAME [argument]`, its stdout in a pipe. Spork knows nothing of it. */
harness_program *harness_run(const char *scenario, const char *argument);
/* Runs any program; `arguments` ends with NULL, [0] is the path. */
harness_program *harness_run_program(const char *const *arguments);
/* The next line of its output without its end; NULL at the end of it, or when the patience is over. Lives until the next call. */
const char *harness_line(harness_program *program);
/* All the rest of its output, lines joined by '\n'. */
const char *harness_output(harness_program *program);
int harness_pid(harness_program *program);
void harness_kill(harness_program *program);      /* SIGKILL, TerminateProcess */
void harness_interrupt(harness_program *program); /* POSIX only */
/* Its exit code, -signal; -1000 if it does not end before the patience is over (it is killed then). */
int harness_wait(harness_program *program);
void harness_free(harness_program *program);
/* Under Windows: if this is not called again for so long, what the threads are at is written to stderr, once. */
void harness_tell_where_it_hangs(int seconds);
/* Implemented by scenarios.c: what --scenario runs. */
int harness_scenario(const char *name, const char *argument);
const char *harness_self(void);

/* ---- an end of a pipe that travels: Spork's internal interface for objects, used as the later kinds will ---- */

typedef struct harness_end harness_end;
enum { HARNESS_KIND = 63 };
bool harness_pipe(harness_end **reader, harness_end **writer);
bool harness_pipe_made(int ends[2]); /* POSIX only: its descriptors, close-on-exec */
/* Both into a pack: spork_pack(harness_give(end)); and out of args: spork_unpack(args, harness_take(&end)). */
spork_item harness_give(harness_end *end);
spork_slot harness_take(harness_end **end);
/* Any handle as such an end. */
harness_end *harness_wrap(spork_native native);
spork_native harness_end_native(const harness_end *end);
/* Frees the object, but not its descriptor. */
spork_native harness_end_detach(harness_end *end);
spork_status harness_end_check(const harness_end *end); /* SPORK_NOT_SHARED … */
bool harness_write(harness_end *end, const void *data, size_t size);
/* Bytes read; 0 at the end of file; -1 when the patience is over, or on an error. */
long harness_read(harness_end *end, void *data, size_t size);
void harness_end_free(harness_end *end);
/* Objects of this kind that exist in this process. */
int harness_ends(void);

#ifdef __cplusplus
}
#endif
#endif
