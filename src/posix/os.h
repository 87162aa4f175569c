/* What the POSIX files share among themselves. */
#ifndef SPORK_POSIX_OS_H
#define SPORK_POSIX_OS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stddef.h>
#include <sys/types.h>

#include "deadline.h"
#include "error.h"
#include "fault.h"
#include "platform.h"

/* Every system call that can fail goes through this door, so that the n-th can be made to fail. */
#define SPORK__SYS(call) (spork__fault(SPORK__FAULT_SYSTEM) ? (errno = spork__fault_code(), -1) : (call))

/* ---- descriptors (memory.c); all close-on-exec and above 2, whatever the host has closed ---- */
/* The same descriptor at a number of at least `floor`; -1 with errno: none there, and it stays where it is. */
int spork__fd_raise(int fd, int floor);
int spork__fd_private(int fd);                              /* takes over a new descriptor; -1 stays -1 */
int spork__fd_cloexec(int fd);                              /* makes it so, returns it */
int spork__fd_pipe(int ends[2]);                            /* 0 or -1 with errno */
int spork__fd_close(int fd);                                /* returns -1; -1 is fine */
int spork__fd_write(int fd, const void *data, size_t size); /* whole; 0 or -1. No SIGPIPE on sockets only */
int spork__fd_read(int fd, void *data, size_t size); /* whole: 1; end of file before the first byte: 0; else -1 */
/* poll, whole: false when the time is over. */
struct pollfd;
bool spork__fd_poll(struct pollfd *fds, size_t count, spork__deadline *deadline);
/* Waits until one of two descriptors (-1: none) is readable. Bits 1 and 2; 0: timed out. */
int spork__fd_wait(int first, int second, int timeout_ms);

/* ---- rights.c: descriptors beside bytes on a socket ---- */
struct msghdr;
/* Into a message that has none; `room`: CMSG_SPACE of them. */
void spork__rights_put(struct msghdr *message, void *room, const int *fds, size_t count);
/* Out of one: adds to the list, private; those for which it has no room are closed. */
void spork__rights_take(struct msghdr *message, int *fds, size_t room, size_t *count);

/* ---- exit.c's alternatives: the end of our own children ---- */
spork_native spork__exit_open(int pid);
spork_status spork__exit_wait(const spork__child *child, int timeout_ms);
spork_status spork__exit_reap(spork__child *child, spork__end *end);
spork_status spork__exit_signal(spork__child *child, int number);
void spork__exit_decode(int wait_status, spork__end *end);

/* ---- relayed children (forkserver.c) ---- */
spork_status spork__relay_wait(const spork__child *child, int timeout_ms);
spork_status spork__relay_reap(spork__child *child, spork__end *end);
spork_status spork__relay_signal(spork__child *child, int number);

/* ---- forks (fork.c) ---- */
/* Default dispositions, empty mask. */
void spork__signals_default(void);
/* Threads of Spork in this process: not counted as the program's. */
extern _Atomic int spork__own_threads;

/* ---- the lifeline ---- */
/* Its descriptors in this process, three at most. */
int spork__lifeline_descriptors(int *list);
/* The alternatives. A read end for one child, of that lifeline; -1 with errno. */
int spork__lifeline_open(int end);
/* This process is killed from now on when its end breaks, at once if it has. */
spork_status spork__lifeline_arm(int own);
/* Whether that costs a thread. */
bool spork__lifeline_needs_thread(void);

/* In a relayed child: the pipe on which its server will tell its end, which breaks by our end should the server be gone; -1. */
extern int spork__relay_pipe;

/* SPORK_INVALID if one of the user's descriptors is not open. */
spork_status spork__check_passed(const spork__launch *launch);

/* ---- the program (self.c) ---- */
/* What to execute to run this program again. */
const char *spork__program_file(void);
/* A descriptor that must stay open in children until they execute; -1. */
int spork__program_fd(void);
bool spork__program_raise(int floor);
const char *spork__program_argv0(void);

/* ---- fork server, both sides ---- */
enum { SPORK__MAX_FDS = 250, SPORK__SERVER_INLINE = 32768 };
typedef enum spork__request_type {
    SPORK__REQUEST_START = 1,
    SPORK__REQUEST_SIGNAL = 2,
    SPORK__REQUEST_RETIRE = 3
} spork__request_type;
typedef struct spork__request {
    uint32_t magic, type, sequence, size; /* of the record; in memory of its own if larger than SPORK__SERVER_INLINE */
    uint32_t fd_count;
    uint32_t has_ack, has_block; /* these descriptors come first, in this order */
    int32_t pid, signal;
    int32_t number_count; /* of 64-bit handle numbers behind the record: where each descriptor is to be */
} spork__request;
typedef struct spork__reply {
    uint32_t magic, sequence;
    int32_t pid;      /* 0: failed, with `code` */
    int32_t code;     /* errno */
    uint32_t relayed; /* a descriptor comes with it: the end's status will be written there */
    char stage[60];
} spork__reply;
enum { SPORK__SERVER_MAGIC = 0x53504b31 };
/* One message with descriptors; 0 or -1. A peer that is gone is EPIPE, never SIGPIPE. */
int spork__socket_send(int fd, const void *data, size_t size, const int *fds, size_t fd_count);
/* Reads exactly `size` bytes; descriptors that come with them go into fds (room for *fd_count), close-on-exec. 1, 0 (end), -1. */
int spork__socket_receive(int fd, void *data, size_t size, int *fds, size_t *fd_count);

/* What a server shares with its owner; in the server's record. */
typedef struct spork__server_words {
    _Atomic uint64_t claim;  /* relayed children: sequence << 32 | pid, 0: nobody yet, ~0: given up */
    _Atomic uint32_t cloned; /* the pid of the sibling of the present request */
    uint32_t unused;
} spork__server_words;

/* ---- clone.c: a sibling instead of a child ---- */
/* Whether a raw clone leaves a process that libc's fork could not tell from its own; asks by trying. */
bool spork__clone_works(void);
/* As fork, but the new process is a child of our parent. -1 with errno. The kernel writes its pid to *pid before it runs, and
 * before anything can happen to us. */
int spork__clone_sibling(_Atomic uint32_t *pid);

#endif
