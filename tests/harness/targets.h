/* What test processes run. Their values are in the comments. */
#ifndef HARNESS_TARGETS_H
#define HARNESS_TARGETS_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

int target_return(const spork_args *args);      /* code: returns it */
int target_exit(const spork_args *args);        /* code: exit(code) */
/* writer, count: sends nothing, when it is ready and at each; returns how many */
int target_count_interrupts(const spork_args *args);
int target_die(const spork_args *args);         /* how: "abort" "segv" "fpe" "ill" "stack" or "raise" + signal number */
int target_sleep(const spork_args *args);       /* (): for ever */
int target_sleep_ms(const spork_args *args);    /* ms, code */
int target_write(const spork_args *args);       /* end, text */
int target_hold(const spork_args *args);        /* writer, barrier: writes a byte, ends at the barrier's end of file */
int target_identity(const spork_args *args);    /* end: writes "name pid ppid parentname parentpid" */
int target_nested(const spork_args *args);      /* end, depth: as identity, and starts itself with depth - 1 */
int target_descriptors(const spork_args *args); /* end, barrier: writes harness_open, ends as hold */
int target_values(const spork_args *args);      /* the pack of harness_all_values: 0 if all are right */
int target_sum(const spork_args *args);     /* an array of unsigned char, the sum & 0xFF is expected as the second */
int target_lines(const spork_args *args);   /* index, count: prints "line INDEX NUMBER" count times */
int target_stdin(const spork_args *args);   /* end: a thread blocks in fgets(stdin), then returns 5 */
int target_endings(const spork_args *args); /* end: at_child_exit writes "2" then "1"; atexit would write "x" */
int target_signals(const spork_args *args); /* (): 0 if all dispositions are default and none is blocked */
int target_memory(const spork_args *args);  /* bytes: allocates and touches it by MiB; 1 when there is no more */
int target_spin(const spork_args *args);    /* (): busy for ever */
int target_files(const spork_args *args);   /* end: opens descriptors until it fails; writes how many were open then */
int target_not_shared(const spork_args *args);    /* end, address of another end object: writes the status of its use */
int target_is_daemon(const spork_args *args);     /* returns whether it is one */
int target_surroundings(const spork_args *args);  /* end: writes "directory|value of HARNESS_VARIABLE" */
int target_busy(const spork_args *args);          /* n: malloc, printf into a buffer, our API; returns 0 */
int target_write_native(const spork_args *args);  /* number, text: writes to that passed descriptor */
int target_open_children(const spork_args *args); /* ms: starts a child that sleeps ms, does not join; returns 3 */
int target_foreign_fork(const spork_args *args);  /* POSIX: 0 if a plain fork in a child can start and join */

/* What is open in a process, and what of it is Spork's own: program, table of processes, lifeline. -1 fills up. */
typedef struct harness_open {
    int all[64], own[8];
} harness_open;
void harness_look(harness_open *open);

struct harness_class {
    double interval;
    int code;
    char text[16];
};
int run_self(void *self, const spork_args *args); /* returns its code if text is "self" */

bool harness_all_values(spork_process **process);

#ifdef __cplusplus
}
#endif
#endif
