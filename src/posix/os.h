/* What the POSIX files share among themselves. */
#ifndef SPORK_POSIX_OS_H
#define SPORK_POSIX_OS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64 /* files and shared memory above 2 GiB, also where a long has 32 bits */
#endif

#include <errno.h>
#include <stddef.h>
#include <sys/types.h>

#include "deadline.h"
#include "error.h"
#include "fault.h"
#include "platform.h"
#include "uncancelled.h"

/* Every system call that can fail goes through this door, so that the n-th can be made to fail. */
#define SPORK__SYS(call) (spork__fault_call(#call) ? (errno = spork__fault_code(), -1) : (call))
/* The same for those that return an error instead of setting errno, and for mmap. */
#define SPORK__SYS_CODE(call) (spork__fault_call(#call) ? spork__fault_code() : (call))
#define SPORK__SYS_MAP(call) (spork__fault_call(#call) ? (errno = spork__fault_code(), MAP_FAILED) : (call))

/* ---- descriptors (memory.c); all close-on-exec and above 2, whatever the host has closed ---- */
/* The same descriptor at a number of at least `floor`; -1 with errno: none there, and it stays where it is. */
int spork__fd_raise(int fd, int floor);
int spork__fd_private(int fd);                              /* takes over a new descriptor; -1 stays -1 */
/* Whether an error tells of too little of something; else a call may be missing, or be forbidden. */
bool spork__is_full(int code);
int spork__fd_cloexec(int fd);                              /* makes it so, returns it */
int spork__fd_open(const char *path, int flags);            /* -1 with errno; a new file is this user's alone */
/* The same: a file there that has no name, and, for ever, cannot get one. */
int spork__fd_open_nameless(const char *directory, bool for_ever);
int spork__fd_pipe(int ends[2]);                            /* 0 or -1 with errno */
int spork__fd_socket_pair(int ends[2]);                     /* the same, for both directions */
int spork__fd_close(int fd);                                /* returns -1; -1 is fine */
/* Which file a descriptor refers to; whether it still does, and is not closed or another one of the
 * program's by now. */
typedef struct spork__file {
    uint64_t device, inode; /* 0 where the system has none for pipes: then the type alone tells */
    uint32_t type;
} spork__file;
void spork__file_note(int fd, spork__file *file);
bool spork__file_is(int fd, const spork__file *file);
int spork__fd_write(int fd, const void *data, size_t size); /* whole; 0 or -1. No SIGPIPE on sockets only */
int spork__fd_read(int fd, void *data, size_t size); /* whole: 1; end of file before the first byte: 0; else -1 */
/* poll, whole: false when the time is over. */
struct pollfd;
bool spork__fd_poll(struct pollfd *fds, size_t count, spork__deadline *deadline);
/* Waits until one of two descriptors (-1: none) is readable. Bits 1 and 2; 0: timed out. */
int spork__fd_wait(int first, int second, int timeout_ms);

/* ---- cgroup.c ---- */
/* A file's beginning as text; false: it cannot be read, or is empty. */
bool spork__file_read(const char *path, char *text, size_t size);
/* Visits the group of this process and all above it, for that controller ("cpu", "memory"); `root` as for spork__os_cpus. */
typedef void spork__cgroup_visit(const char *directory, bool v2, void *user);
void spork__cgroups(const char *root, const char *controller, spork__cgroup_visit *visit, void *user);

/* ---- blocks (memory.c) ---- */
/* Bytes that the system could still give, by its own estimate: of the machine, and within the memory limits of this process' control
 * groups. UINT64_MAX: it does not tell. */
uint64_t spork__memory_available(const char *root);
/* A new block on that descriptor, which stays the caller's on failure; its pages are there. */
spork_status spork__block_on(spork__block *block, int fd, size_t size);

/* ---- named.c and its alternatives ---- */
enum { SPORK__NAMED_PATH = 160 };
/* A file whose name is `spork-shm-UID-NAME` and that suffix, in one of the directories for such; it appears whole, or not at all. `lock`: also a
 * descriptor that keeps it locked (flock); NULL. */
spork_status spork__named_file_new(spork__block *block, size_t size, const char *name, const char *suffix,
                                   const void *head, size_t head_size, char path[SPORK__NAMED_PATH], int *lock);
/* Its descriptor; -1 with errno. */
int spork__named_file_open(const char *name, const char *suffix);
/* One at a time makes or removes a name that ends with its process: who does keeps the directory locked, which needs no file, until the
 * descriptor is closed. Somebody else's lock on it is no reason to wait for long. */
int spork__named_lock(void);
/* Whether the process is gone that keeps this file locked. If so, it is ours now in that nobody can become its owner. */
bool spork__named_is_dead(int fd);
/* Removes what the dead have left: files that end so, and that nobody has locked. LOCKED: the caller has the lock above. */
void spork__named_sweep(const char *suffix, bool locked);
/* The alternatives: names that end with their process. Keeps others from making something of that name, until the claim is retracted;
 * SPORK_EXISTS. And makes it, with that claim, which is retracted on failure. */
spork_status spork__owned_new(spork__block *block, size_t size, const char *name, const void *head, size_t head_size,
                              spork__claim *claim);
spork_status spork__owned_reserve(const char *name, spork__claim *claim);
/* Its descriptor; -1 with errno. */
int spork__owned_open(const char *name);

/* ---- rights.c: descriptors beside bytes on a socket ---- */
struct msghdr;
/* Into a message that has none; `room`: CMSG_SPACE of them. */
void spork__rights_put(struct msghdr *message, void *room, const int *fds, size_t count);
/* Whether whoever sent this message is, by the kernel's word, this process' user and group; the socket has been
 * told to ask (rights_ask). Where the kernel cannot tell: true. */
enum { SPORK__RIGHTS_ROOM = 64 }; /* that it takes beside descriptors */
void spork__rights_ask(int socket);
bool spork__rights_ours(struct msghdr *message);
/* Out of one: adds to the list, private; those for which it has no room are closed. */
void spork__rights_take(struct msghdr *message, int *fds, size_t room, size_t *count);

/* ---- exit.c's alternatives: the end of our own children ---- */
spork_native spork__exit_open(int pid);
spork_status spork__exit_wait(const spork__child *child, int timeout_ms);
spork_status spork__exit_reap(spork__child *child, spork__end *end);
spork_status spork__exit_signal(spork__child *child, int number);
void spork__exit_decode(int wait_status, spork__end *end);
/* A handle of a child that serves another process, too, which is not its parent; -1. By it: how it
 * ended, when it has, and was reaped by whomever; and a signal. false: not on this system. */
int spork__exit_open_for_others(int pid);
bool spork__exit_told(int handle, spork__end *end);
bool spork__exit_signal_by(int handle, int number);

/* ---- relayed children (forkserver.c) ---- */
spork_status spork__relay_wait(const spork__child *child, int timeout_ms);
spork_status spork__relay_reap(spork__child *child, spork__end *end);
spork_status spork__relay_signal(spork__child *child, int number);

/* ---- stdio.c ---- */
/* In a forked child: what the parent has read, and not yet used. */
void spork__stdin_drop(void);

/* ---- lock.c ---- */
/* Whether this thread has one of the library's. */
bool spork__os_holds_a_lock(void);

/* ---- forks (fork.c) ---- */
/* Default dispositions, but for what was ignored when the program began; empty mask. */
void spork__signals_default(void);
void spork__signal_default(int number); /* of that one */
/* Threads of Spork in this process: not counted as the program's. */
extern _Atomic int spork__own_threads;

/* ---- the lifeline ---- */
/* Its descriptors in this process, three at most. */
int spork__lifeline_descriptors(int *list);
/* What ties one child: its read end, and its parent's write end of the same pipe, if that is for
 * this child alone; -1: none. */
typedef struct spork__tie {
    int own, leash;
} spork__tie;
/* For one child, to that lifeline (SPORK__NO_HANDLE: to none); 0, or -1 with errno. */
int spork__lifeline_for(spork_native end, spork__tie *tie);
void spork__lifeline_drop(spork__tie *tie);
/* The alternatives. A read end for one child, of that lifeline; -1 with errno. Not when /proc is
 * missing, or belongs to another user. */
int spork__lifeline_open(int end);
/* This process is killed from now on when its end breaks, at once if it has. */
spork_status spork__lifeline_arm(int own);
/* Whether that always costs a thread. */
bool spork__lifeline_needs_thread(void);
/* The thread. */
spork_status spork__lifeline_watch(int own);

/* In a relayed child: the pipe on which its server will tell its end, which breaks by our end should the server be gone; -1. */
extern int spork__relay_pipe;

/* SPORK_INVALID if one of the user's descriptors is not open. */
spork_status spork__check_passed(const spork__launch *launch);

/* ---- execute.c ---- */
typedef struct spork__execution {
    int program; /* a descriptor of it */
    char *const *argv, *const *environment;
    const spork__launch *launch; /* its record, what is given and passed go through the exec, */
    int ack;                     /* and this */
} spork__execution;
/* A child that runs it. 0, or the reason why it cannot be run. */
int spork__execute(const spork__execution *execution, int *pid);

/* ---- the program (self.c) ---- */
/* What to execute to run this program again. "": it is not known. */
const char *spork__program_file(void);
/* In a child that may not be able to find it: a descriptor of it, which it has from its parent. */
void spork__program_given(int fd);
/* Whether the descriptor below is still that one: this program may have closed it, and made another
 * of it. */
bool spork__program_is_ours(void);
/* Whether it cannot be executed by the name above, as where /proc is not there. */
bool spork__program_is_nameless(void);
/* A descriptor that must stay open in children until they execute; -1. */
int spork__program_fd(void);
void spork__program_moved(int fd);
const char *spork__program_argv0(void);

/* ---- images (image_elf.c) ---- */
/* Whether that file is a library of this program; whether it is the program itself. */
bool spork__image_is_library(const char *path);
bool spork__image_is_program(const char *path);

/* ---- what a child has from its parent (attributes.c) ---- */
typedef struct spork__attributes {
    uint64_t rights, settings; /* numbers that differ if anything of it does */
    int unknown;               /* errno: a part could not be seen */
} spork__attributes;
void spork__attributes_now(spork__attributes *now);
/* Whether this process may look at that one, as at one with no more rights. Of a domain of Landlock, which
 * nothing else tells of, nobody outside can be seen. */
bool spork__attributes_may_look_at(int pid);

/* ---- identity.c's alternatives ---- */
/* Whether the children of this thread come into another pid namespace than its own. False where
 * that cannot be told. */
bool spork__children_elsewhere(void);
/* The sentence for a fork that failed (fork.c). */
spork_status spork__fork_failed(int code, const char *what);

/* ---- fork server, both sides ---- */
enum { SPORK__MAX_FDS = 250, SPORK__SERVER_INLINE = 32768 };
typedef enum spork__request_type {
    SPORK__REQUEST_START = 1,
    SPORK__REQUEST_SIGNAL = 2,
    SPORK__REQUEST_RETIRE = 3
} spork__request_type;
/* The owner's standard streams: a bit for each that comes with the request, the others are closed
 * there. 0: the server's are the child's. */
enum { SPORK__STREAMS_SENT = 8 };
typedef struct spork__request {
    uint32_t magic, type, sequence, size; /* of the record; in memory of its own if larger than SPORK__SERVER_INLINE */
    uint32_t fd_count;
    uint32_t has_ack, has_block, streams; /* these descriptors come first, in this order */
    int32_t pid, signal;
    int32_t number_count; /* of 64-bit handle numbers behind the record: where each descriptor is to be */
} spork__request;
typedef struct spork__reply {
    uint32_t magic, sequence;
    int32_t pid;      /* 0: failed, with `code` */
    int32_t code;     /* errno */
    /* So many descriptors come with it: one on which the end's status will be written, and a handle
     * of the child. 0: it is the owner's own. */
    uint32_t relayed;
    uint32_t untied; /* failed, for it cannot open a lifeline: it wants to be given a leash */
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
