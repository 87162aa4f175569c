/* What security_test.cpp runs: attackers, and what they are after. Nothing here uses Spork's insides. */
#ifndef SPORK_HARNESS_SECURITY_H
#define SPORK_HARNESS_SECURITY_H

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what a process can be reached by ---- */

enum {
    SECURITY_LIST = 1,    /* its descriptors can be listed: /proc/PID/fd */
    SECURITY_OPEN = 2,    /* one of them can be opened */
    SECURITY_MEMORY = 4,  /* its memory: /proc/PID/mem */
    SECURITY_ENVIRON = 8, /* /proc/PID/environ */
    SECURITY_MAPS = 16,   /* /proc/PID/maps */
    SECURITY_READ = 32,   /* process_vm_readv */
    SECURITY_TAKE = 64,   /* pidfd_getfd */
    SECURITY_SIGNAL = 128,
    SECURITY_TRACE = 256 /* ptrace */
};
/* Which of them lead into that process for user `uid`; -1: this process cannot become that user. (Linux) */
int security_doors(int pid, unsigned uid);
/* This process' descendants, at most `room`; their number. (Linux) */
int security_descendants(int *pids, int room);
/* Whether any process' command line or environment, as far as they can be read, has that text. (Linux) */
bool security_told(const char *text);

/* ---- targets ---- */

/* secret, writer, reader: 0 if nothing of this process' command line and environment tells the secret. Writes a byte and waits for the end
 * of the reader. */
int security_keep(const spork_args *args);
/* The bootstrap's variable as this process found it, into the writer; nothing: there was none. 0 if it is there no more. (Linux) */
int security_variable(const spork_args *args);
/* reader: waits for its end. */
int security_wait(const spork_args *args);

/* ---- attackers: each runs as `uid` in a fork of its own until it is freed; NULL: that cannot be. (POSIX) ---- */

typedef struct security_attacker security_attacker;
typedef enum security_bait {
    SECURITY_FILE, /* of the attacker's, that looks like shared memory of that name */
    SECURITY_LINK, /* a symbolic link to `target` */
    SECURITY_FIFO
} security_bait;
/* Puts that at `path`, for everybody to read and to write, and stays. */
security_attacker *security_plant(unsigned uid, security_bait bait, const char *path, const char *name, const char *target);
/* Binds the abstract name `begin` + "/PID/FD" and stays; FD: `target` as far as that user can open it. `target` NULL: `begin` alone. (Linux) */
security_attacker *security_pose(unsigned uid, const char *begin, const char *target);
/* Whether the attacker sees within so long that somebody has opened what it put there: a FIFO. */
bool security_bitten(security_attacker *attacker, int ms);
void security_free(security_attacker *attacker);

/* A file that looks like shared memory of that name with one page of data, of that user alone. */
bool security_forge(const char *path, const char *name, unsigned uid);

/* ---- this process ---- */

/* Descriptors from 3 on that a program started by this one would get, but for the first `count` of `but`; the first of them, or -1. (POSIX) */
int security_leaking(const int *but, int count);
/* Anonymous blocks of memory among this process' descriptors; how many of them could be made shorter. (Linux) */
int security_blocks(int *shortened);
/* Sockets among them; how many of those others could find by a name that is no shared memory's. (Linux) */
int security_sockets(int *named);

/* ---- programs ---- */

/* "FILE": a pool with a trace into FILE, which it is told of a secret. Prints "private" or what leaks. */
int security_scenario_trace(const char *file);

/* ---- Windows ---- */

typedef enum security_shape { SECURITY_SECTION, SECURITY_HANDLE } security_shape;
/* "" if that section (by name), or that handle, is this user's and has nobody else in its list; else what is wrong. */
const char *security_wrong_list(security_shape shape, const char *name, spork_native handle);
/* A section that looks like shared memory of that name, of somebody else, and open to everybody; NULL: the system does not let us. */
void *security_pose_section(const char *name);
void security_close(void *handle);
/* Handles of this process that a child would inherit if all were. */
int security_inheritable(void);

#ifdef __cplusplus
}
#endif
#endif
