/* The only door to an operating system: everything that src/ needs of one, and nothing else. src/posix and src/win32
 * implement it, under the same file names; each section below is such a file.
 *
 * A platform function does one thing to objects of the system. It takes plain arguments, returns a status with the error
 * sentence set (spork__fail), and leaves policy (defaults, state, retries, whose turn it is) to its caller. It handles
 * EINTR and partial transfers itself. Descriptors and handles are private at birth (close-on-exec, not inheritable). */
#ifndef SPORK_PLATFORM_H
#define SPORK_PLATFORM_H

#include <stdio.h>

#include <spork/process.h>
#include <spork/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SPORK__NO_HANDLE ((spork_native)-1)

/* ---- time.c --------------------------------------------------------------------------------------------------- */

/* Nanoseconds of a clock that only goes forward, alike in all processes. Cannot fail. */
uint64_t spork__os_now(void);
void spork__os_sleep(int ms);
/* Lets others run, if there are any. */
void spork__os_yield(void);
/* Gives up the CPU for some 50 to 100 us; returns at once where so short a sleep cannot be had (Windows). */
void spork__os_nap(void);

/* ---- lock.c: the locks of this process ------------------------------------------------------------------------- */

/* Every lock of the library, in the order in which they may be taken together. Around every fork of this process all are
 * held, so that a child finds them free and what they protect whole. */
typedef enum spork__lock {
    SPORK__LOCK_CHILDREN, /* the list of processes, and each one's end */
    SPORK__LOCK_SERVER,   /* the fork server and the talk with it */
    SPORK__LOCK_START,    /* the lifeline; descriptors that exist for the moment of a start only */
    SPORK__LOCK_OBJECTS,  /* the list of objects that can travel */
    SPORK__LOCK_THREADS,  /* the list of threads, and each one's end */
    SPORK__LOCK_IMAGES,   /* images seen, and their identities */
    SPORK__LOCK_TREE,     /* making the tree */
    SPORK__LOCK_TRACE,    /* the timeline */
    SPORK__LOCK_LOG,      /* last: everybody logs */
    SPORK__LOCKS
} spork__lock;

void spork__os_lock(spork__lock lock);
/* All of them, those that this thread holds already excepted; for a fork. Which it took, to be given up again; in the child: ~0u, all. */
unsigned spork__os_lock_all(void);
void spork__os_unlock_all(unsigned which);
void spork__os_unlock(spork__lock lock);

/* Calls `in_child` in each forked child of this process, by whoever forked it, before the fork returns there; the locks are
 * free then. Only what is async-signal-safe may be done in it. Once; nothing where there is no fork. */
spork_status spork__os_at_fork(void (*in_child)(void));

/* ---- cancel.c: pthread_cancel, where there is such a thing ---------------------------------- */

/* What is to be given back if a thread ends in the middle of a call; of several callers, each its
 * own. */
typedef struct spork__cleanup {
    void (*fn)(void *user); /* NULL: nothing */
    void *user;
    const struct spork__cleanup *outer; /* called after it; NULL */
} spork__cleanup;

/* Whatever the library does is no cancellation point, but what sleeps between these two, and they
 * themselves: there a thread may end, after those calls (NULL: there is nothing to give back).
 * Between them this thread holds no lock, and nothing that the calls do not give back.
 * Not nested. */
void spork__os_cancel_allow(const spork__cleanup *cleanup);
void spork__os_cancel_forbid(void);
/* Around code of the user's that the library calls in the middle of something. */
int spork__os_cancel_off(void);
void spork__os_cancel_restore(int before);

/* ---- thread.c ------------------------------------------------------------------------------------------------------ */

typedef struct spork__os_thread {
    uintptr_t handle;
} spork__os_thread;

/* `cut_short(user)` is called in the thread if it ends before `fn(user)` has returned: it was
 * cancelled, or has called pthread_exit or ExitThread. */
typedef struct spork__thread_work {
    void (*fn)(void *user);
    void (*cut_short)(void *user); /* NULL: it cannot be */
    void *user;
} spork__thread_work;
/* `own`: one of Spork's, which gets no signals, and is not counted as the program's. `name`: for
 * debuggers; SPORK_NO_SPACE. */
spork_status spork__os_thread_start(spork__os_thread *thread, const spork__thread_work *work,
                                    const char *name, bool own);
/* Waits for its end, with all that it does then; once. Or lets go of it, also in itself. */
void spork__os_thread_join(spork__os_thread *thread);
void spork__os_thread_detach(spork__os_thread *thread);

/* Calls `fn`, always the same one, with that value (not 0) at the end of the calling thread, in it; what else is the thread's may be gone by then. POSIX: not for a main thread by whose return the program
 * ends. */
void spork__os_at_thread_end(void (*fn)(uintptr_t value), uintptr_t value);
/* No more calls, also not for threads that were promised one: this code may be unloaded. */
void spork__os_forget_thread_ends(void);

/* ---- channel.c: messages between processes ---------------------------------------------------------------------- */

/* An end. */
typedef struct spork__channel {
    spork_native in,
        out; /* SPORK__NO_HANDLE: it does not receive, or send; a duplex end has one handle in both places */
    spork_native in_event, out_event; /* Windows: signalled by a transfer; made when first needed */
    void *pending;                    /* Windows: a read that has been begun */
    void *guard;                      /* Windows: a lock of the handles */
} spork__channel;
#define SPORK__NO_CHANNEL                                                                                              \
    (spork__channel) { SPORK__NO_HANDLE, SPORK__NO_HANDLE, SPORK__NO_HANDLE, SPORK__NO_HANDLE, NULL, NULL }

/* A pair: one-way from the second to the first, or duplex. Under SPORK__LOCK_START. */
spork_status spork__os_channel_new(bool duplex, spork__channel ends[2]);
/* What was opened elsewhere becomes an end that receives (SPORK_READ), sends (SPORK_WRITE), or both;
 * *objects: descriptors travel with its messages. On failure it is as it was. Under
 * SPORK__LOCK_START. */
spork_status spork__os_channel_of(spork_native native, int directions, spork__channel *channel,
                                  bool *objects);
/* Handles that another process gave become such an end. */
spork_status spork__os_channel_adopt(spork__channel *channel);
/* One message, whole. `handles` (only over a duplex end): go with it, and stay ours. SPORK_TIMEOUT: nothing was sent.
 * SPORK_BROKEN: a part was; SPORK_CLOSED: nobody receives. */
spork_status spork__os_channel_send(spork__channel *channel, const void *data, size_t size, const spork_native *handles,
                                    size_t handle_count, int timeout_ms);
/* Receives into `message` (message.h) until it is whole; what came before another result stays there. SPORK_TOO_SMALL: its
 * size is known, and more than the lent room; SPORK_CLOSED: the end, what came of a message is dropped; SPORK_BAD_MESSAGE. */
struct spork__message;
spork_status spork__os_channel_receive(spork__channel *channel, struct spork__message *message, int timeout_ms);
/* Before a message is decoded: sees to its handles, and tells where its values begin. */
spork_status spork__os_channel_unwrap(struct spork__message *message, size_t *begin);
/* Whether something can be received, or sent, at once. */
bool spork__os_channel_ready(spork__channel *channel, struct spork__message *message, bool sending);
/* What tells that; on Windows a read has been begun for it. SPORK__NO_HANDLE: nothing does. */
spork_native spork__os_channel_handle(spork__channel *channel, struct spork__message *message, bool sending);
/* Before the end is given away, and after a wait: nothing is under way. */
void spork__os_channel_settle(spork__channel *channel, struct spork__message *message);
/* Waits until something can be received; on Windows by receiving it. SPORK_OK also at the end. */
spork_status spork__os_channel_poll(spork__channel *channel, struct spork__message *message, int timeout_ms);
/* The handle in the mode that other programs expect. */
void spork__os_channel_plain(spork__channel *channel);
/* Async-signal-safe (POSIX). */
void spork__os_channel_close(spork__channel *channel);
/* For the other side as if this end were closed, while other threads may be in a call with it: it
 * transfers nothing any more. `alone`: no other process has this end. Under SPORK__LOCK_START. */
void spork__os_channel_hang_up(spork__channel *channel, bool alone);

/* ---- park.c: sleeping on a word of shared memory ----------------------------------------------------------------- */

/* What a word that processes sleep on needs beside it: a semaphore on Windows; elsewhere nothing, SPORK__NO_HANDLE. It goes to
 * other processes with the memory, and is closed as any handle. */
spork_status spork__os_berth_new(spork_native *berth);
/* Sleeps while the 32-bit atomic at `word` holds `expected`, for at most `ms` (0 to 1000); may return for no reason. */
void spork__os_park(const void *word, uint32_t expected, spork_native berth, int ms);
/* Forgets wake-ups that nobody has used. */
void spork__os_berth_quiet(spork_native berth);
/* Wakes one sleeper, or all, once the word has another value. Cannot fail; a wake-up may be lost.
 * False: nobody slept, as far as the system tells. */
bool spork__os_unpark(const void *word, spork_native berth, bool all);

/* A handle that others can wait on, together with more: what wakes those who do not park. On Windows that is the berth. */
typedef struct spork__chime {
    spork_native wait, ring; /* SPORK__NO_HANDLE: the berth serves */
} spork__chime;
spork_status spork__os_chime_new(spork__chime *chime);
/* Makes it readable. Does not block; cannot fail. */
void spork__os_chime_ring(const spork__chime *chime);
/* Makes it not readable. */
void spork__os_chime_quiet(const spork__chime *chime);
void spork__os_chime_close(spork__chime *chime);
/* The same, and on every system: ready from a ring until it is quieted, however many wait. */
spork_status spork__os_flag_new(spork__chime *flag);

/* ---- wait.c: waiting for any of many handles ----------------------------------------------------------------------- */

typedef struct spork__wait_handle {
    spork_native handle;
    bool for_writing; /* POSIX */
    bool fired;       /* out: it was ready, which on Windows may have used its signal up */
    size_t item;      /* the caller's */
} spork__wait_handle;
/* Until one of them is ready, or for no reason; SPORK_FOREVER. */
void spork__os_wait_any(spork__wait_handle *handles, size_t count, int ms);
/* Whether it is ready now; on Windows this, too, may use its signal up. */
bool spork__os_is_ready(spork_native handle, int events);
/* SPORK_INVALID, with a sentence: it cannot be waited on. */
spork_status spork__os_check_handle(spork_native handle);

/* ---- socket.c: waiting for sockets among other handles ------------------------------------------------------------ */

/* SPORK_INVALID, with a sentence: it is none. */
spork_status spork__os_socket_check(spork_native socket);
bool spork__os_socket_is_ready(spork_native socket, int events);
/* A handle that tells of that event. *watch is NULL at first, and the same for both events of a wait;
 * whoever waited ends it. SPORK__NO_HANDLE: nothing does. */
spork_native spork__os_socket_watch(spork_native socket, bool writing, void **watch);
void spork__os_socket_leave(void **watch);

/* ---- memory.c: memory shared between processes ------------------------------------------------------------------ */

typedef struct spork__block {
    spork_native handle; /* to give to other processes; SPORK__NO_HANDLE once closed */
    void *data;
    size_t size;
} spork__block;

/* Anonymous, zeroed, mapped. Its pages are there when it returns: SPORK_NO_SPACE now instead of SIGBUS later. */
spork_status spork__os_block_new(spork__block *block, size_t size);
/* The same without reserving: for large sparse tables, of which little is used. */
spork_status spork__os_block_new_sparse(spork__block *block, size_t size);
/* Memory for a part of such a table, before it is touched: SPORK_NO_SPACE where that would end this
 * process, and the system tells. Needs no descriptor. */
spork_status spork__os_block_populate(const spork__block *block, size_t offset, size_t size);
/* Addresses only: a part may be used after spork__os_block_commit gave it memory. For what may become large. */
spork_status spork__os_block_new_growing(spork__block *block, size_t size);
/* Zeroed memory for these bytes of such a block, in every process that maps it; what has some keeps it. SPORK_NO_SPACE. Of
 * much that is new spork__os_block_afford is asked first. */
spork_status spork__os_block_commit(const spork__block *block, size_t offset, size_t size);
/* Before that many new bytes are committed: SPORK_NO_SPACE if the system has hardly so much left, and
 * would have somebody killed for it. It is asked once for each 16 MiB. */
spork_status spork__os_block_afford(size_t size);
/* Whether these bytes of such a block may be touched: false if that would end this process. */
bool spork__os_block_is_backed(const spork__block *block, size_t offset, size_t size);
/* Takes the memory of these bytes away again, in every process, where the system can do that: they
 * are not to be touched before they are committed anew. Whole pages; does nothing where it cannot. */
bool spork__os_block_can_discard(void);
void spork__os_block_discard(const spork__block *block, size_t offset, size_t size);
/* For how many of its bytes there is memory, in all; its size where the system does not tell. */
size_t spork__os_block_committed(const spork__block *block);
/* How large such a block may be made without being a burden, if little of it is used. */
size_t spork__os_block_spacious(void);
/* Maps a block that another process gave. `size` 0: its whole size. */
spork_status spork__os_block_open(spork__block *block, spork_native handle, size_t size);
/* Closes the handle; the memory stays mapped. */
void spork__os_block_close_handle(spork__block *block);
/* In a forked child: unmaps it, and closes its handle if `close`. Async-signal-safe. */
void spork__os_block_abandon(spork__block *block, bool close);
/* Unmaps and closes what is left. A block of zeroes is fine. */
void spork__os_block_free(spork__block *block);
/* A page of this process that a forked child finds zeroed, if the system can do that (*wiped); else plain memory. */
spork_status spork__os_fork_wiped_page(void **page, bool *wiped);

/* ---- transit.c: handles of shared memory that are in a message ------------------------------------------------------ */

/* Whether this system can tell of a handle that was sent and is not yet received. */
bool spork__os_transit_is_seen(void);
/* A handle of the block to be sent, and then closed: as long as it is on its way, under_way says so to
 * everybody who has the block. `what`: bits that one may ask for. SPORK__NO_HANDLE: cannot be told. */
spork_native spork__os_transit_begin(const spork__block *block, unsigned what);
/* It has arrived: its receiver says so. Of one that is lost the system does. */
void spork__os_transit_end(spork_native handle);
/* `what`: one bit. */
bool spork__os_transit_under_way(const spork__block *block, unsigned what);

/* ---- named.c: shared memory that other programs find by a name ----------------------------------------------------- */

/* What keeps a name of this process' alive. */
typedef struct spork__claim {
    spork_native handles[2]; /* SPORK__NO_HANDLE: none */
    char *path;              /* of a file to be removed, allocated; NULL: none */
} spork__claim;
#define SPORK__NO_CLAIM                                                                                                \
    (spork__claim) { {SPORK__NO_HANDLE, SPORK__NO_HANDLE}, NULL }

/* A new block, which others find at once and whole, beginning with `head`; `manual`: beyond the end of this process. The name has been
 * checked: it is fit for a file's. SPORK_EXISTS; SPORK_NO_SPACE. */
spork_status spork__os_named_new(spork__block *block, size_t size, const char *name, bool manual, const void *head,
                                 size_t head_size, spork__claim *claim);
/* Nobody finds it any more; a claim of none is fine. */
void spork__os_named_retract(spork__claim *claim);
/* In a forked child: the name is the parent's. Async-signal-safe. */
void spork__os_named_abandon(spork__claim *claim);
/* Whoever made it. SPORK_NOT_FOUND, SPORK_DENIED. Windows: it may have no head yet. */
spork_status spork__os_named_open(spork__block *block, const char *name);
/* Removes a manual one's name. SPORK_NOT_FOUND; SPORK_BAD_STATE: it is a process'. */
spork_status spork__os_named_remove(const char *name);

/* ---- handles (in memory.c) --------------------------------------------------------------------------------------- */

void spork__os_handle_close(spork_native handle);
/* Another handle of the same thing, as private as the first. */
spork_status spork__os_handle_copy(spork_native handle, spork_native *copy);
/* Whether a program gets it that this process executes, or (Windows) starts. */
void spork__os_handle_inherit(spork_native handle, bool inherit);

/* The descriptors that Spork keeps open in this process besides the tree's, for tests; how many. */
int spork__os_own_descriptors(int *list, int room);
/* The pid of this process' fork server; 0. For tests. */
int spork__os_forkserver_pid(void);

/* ---- identity.c: which process is that, and does it live? ------------------------------------------------------- */

int spork__os_getpid(void);
int spork__os_getppid(void);
/* A number that tells this process from every other that ever has the same id: its start time, or what the system has for that. 0:
 * cannot be known. */
uint64_t spork__os_start_time(int pid);
/* False only if it is certain that process `pid` with that start time has ended; `start` 0: the pid alone decides. */
bool spork__os_process_alive(int pid, uint64_t start);
/* Whether it is stopped as a whole, as by SIGSTOP, a debugger or job control; false where the
 * system does not tell. For sentences. */
bool spork__os_process_stopped(int pid);
/* Names pids of one and the same namespace: participants from different ones cannot judge each other. 0: only one. */
uint64_t spork__os_pid_namespace(void);
/* A number nobody can guess. */
uint64_t spork__os_nonce(void);
/* Threads of this process; 0 if the system does not tell cheaply. */
int spork__os_thread_count(void);

/* ---- self.c: this program and its surroundings ------------------------------------------------------------------- */

/* Remembers the program file (Linux: a descriptor, so that a replaced file does not matter). Once. */
spork_status spork__os_remember_program(const char *argv0);
/* Its path, for messages and for finding the image again; "" if unknown. */
const char *spork__os_program_path(void);
/* True if this process has more rights than its user (set-user-id and kin): it takes no orders from its environment. */
bool spork__os_is_privileged(void);
/* The value of an environment variable, or NULL; NULL in a program with more rights than its user. */
const char *spork__os_getenv(const char *name);
bool spork__os_file_exists(const char *path);
/* Writes to stderr, unbuffered, whole. Async-signal-safe. */
void spork__os_write_error(const char *text, size_t size);
/* Ends this process here and now, no handler runs. */
#if defined(__GNUC__)
__attribute__((noreturn))
#endif
void spork__os_exit(int code);
/* The same as by a kill from outside. For tests. */
void spork__os_kill_self(void);
/* As by a SIGSTOP; Windows: this thread alone. For tests. */
void spork__os_stop_self(void);
/* Coverage and leak-check hooks, if this build has them, at the end of a child. */
void spork__os_exit_hooks(bool forked);

/* ---- stdio.c ------------------------------------------------------------------------------------------------------- */

/* In a forked child: `fn` is called by exit(), with its code, before all that was registered until
 * now. Where the C library cannot tell the code: never, and what is at least left alone is the
 * input that the parent has, too. */
void spork__os_on_exit(void (*fn)(int code));
/* A file to write to, made or emptied, of which programs that this process starts get nothing. A new one is for this user alone. NULL: it
 * cannot be had. */
FILE *spork__os_file_new(const char *path);
/* Writes at once, or not at all. */
void spork__os_file_write(FILE *file, const char *text, size_t size);
void spork__os_file_close(FILE *file);

/* Flushes stdout and stderr, these two only; a stream that another thread holds for longer than a second is left alone. */
void spork__os_flush(void);
/* In a forked child: drops what the parent has not yet written: it is the parent's to write. */
void spork__os_drop_unwritten(void);
/* In a child: lines leave whole, where the C library can do that. */
void spork__os_line_buffer(void);
/* Whether it can; if not, somebody has to flush. */
bool spork__os_lines_leave(void);

/* ---- cpu.c --------------------------------------------------------------------------------------------------------- */

typedef struct spork__cpus {
    int online;   /* of the machine */
    int affinity; /* that this process may run on; 0: unknown */
    double quota; /* CPUs by cgroup quota; 0: none */
    char quota_file[256];
} spork__cpus;
/* `root`: "" or, in tests, a directory that stands for /. */
void spork__os_cpus(const char *root, spork__cpus *cpus);

/* ---- image.c: executables and libraries ----------------------------------------------------------------------------- */

#define SPORK__IDENTITY_SIZE 20

typedef struct spork__os_image {
    uintptr_t base;  /* where its offset 0 is mapped */
    char path[1024]; /* UTF-8; the program's own is the program path */
    bool is_program;
    uint8_t identity[SPORK__IDENTITY_SIZE]; /* of the build */
} spork__os_image;

/* The loaded image whose CODE `address` is in. SPORK_NOT_FOUND: in none. `with_identity` false leaves identity alone. */
spork_status spork__os_image_of(uintptr_t address, bool with_identity, spork__os_image *image);
/* Whether it is in the code of any; the same without the rest, quick when asked again. */
bool spork__os_image_holds_code(uintptr_t address);
/* The loaded image with this identity, the program if `is_program`. SPORK_NOT_FOUND. */
spork_status spork__os_image_find(const spork__os_image *wanted, spork__os_image *found);
/* The identity of an image FILE, without running anything of it. */
spork_status spork__os_image_file_identity(const char *path, uint8_t identity[SPORK__IDENTITY_SIZE]);
/* Loads a library, its constructors run. */
spork_status spork__os_image_load(const char *path);

/* ---- starting children: fork.c, spawn.c, forkserver.c ------------------------------------------------------------- */

typedef struct spork__limits {
    uint64_t max_memory;
    uint64_t max_cpu_ms;
    uint32_t max_files;
} spork__limits;

/* A started child. */
typedef struct spork__child {
    int pid;
    int relay; /* 0: our own child; else the fork server with this pid reaps it, and tells. Of a server: whether it does that */
    spork_native handle;    /* pidfd, kqueue, process handle, or a relay's pipe: ready when it ended */
    spork_native job;       /* Windows: its own job, for limits. Else its leash, if it has one */
    /* Windows: the event behind spork_process_interrupt. Relayed: a handle by which it can be
     * signalled, and asked how it ended. */
    spork_native interrupt;
    spork_native ack;       /* where it tells that it took over; SPORK__NO_HANDLE: nothing to wait for */
} spork__child;
#define SPORK__NO_CHILD                                                                                                \
    (spork__child) { 0, 0, SPORK__NO_HANDLE, SPORK__NO_HANDLE, SPORK__NO_HANDLE, SPORK__NO_HANDLE }

/* The handles that every child is given come in this order; its objects' follow. */
enum { SPORK__GIVEN_TREE, SPORK__GIVEN_LIFELINE, SPORK__GIVEN_OBJECTS };

typedef struct spork__nursery spork__nursery;

/* What every way of starting needs. */
typedef struct spork__launch {
    const char *name;       /* for messages */
    const char *executable; /* NULL: the remembered program */
    bool outlive_parent;
    bool acknowledge; /* fork, forkserver: the child tells when it took over (spawn always does) */
    spork__limits limits;
    uint64_t nonce; /* spawn: written into the record too */
    const spork_native
        *given; /* handles that the child gets, private ones of ours; SPORK__NO_HANDLE: none in that place */
    size_t given_count;
    int64_t *given_there;     /* out: their numbers in the child (written before the child can read its record) */
    const spork_native *pass; /* the user's, same numbers in the child */
    size_t pass_count;
    spork__block *record; /* spawn: the bootstrap record, in a block of its own */
    spork__nursery *nursery; /* forkserver: that one; NULL: the program's */
    void *bytes;          /* forkserver: the same record as plain bytes */
    size_t bytes_size;
    /* forkserver: builds the record of a server in a block; *handles: where its handles' numbers go; *control: the word
     * that it shares with its owner */
    spork_status (*server_record)(spork__block *record, uint64_t nonce, int64_t **handles, void **control);
    /* fork: runs in the child, does not return; `lifeline` is its own end */
    void (*child_main)(void *user, spork_native ack, spork_native lifeline);
    void *user;
} spork__launch;

/* Whether the system has it. */
bool spork__os_has_method(spork_start_method method);
spork_start_method spork__os_default_method(void);
/* SPORK_UNSUPPORTED, with a sentence, if one of these limits cannot be enforced here. */
spork_status spork__os_check_limits(const spork__limits *limits);

/* Writes *child before any other thread can fork: that child has to find what it must close. */
spork_status spork__os_fork(const spork__launch *launch, spork__child *child);
/* Under SPORK__LOCK_START, as all that makes or closes a descriptor for a moment. */
spork_status spork__os_spawn(const spork__launch *launch, spork__child *child);
spork_status spork__os_forkserver(const spork__launch *launch, spork__child *child);
/* The plain fork, result as fork()'s. */
int spork__os_plain_fork(void);
/* Ends this process' fork server; its children are not touched. */
void spork__os_forkserver_stop(void);
/* In a forked child: the parent's server is not ours. Async-signal-safe. */
void spork__os_forkserver_forget(void);
/* A fork server that is forked, and not spawned: its children have what this process has now. Where there is fork. `launch`: as for a child; `main` runs
 * in it, and does not return: its record tells what a server's tells. */
spork_status spork__os_nursery_new(const spork__launch *launch,
                                   void (*main)(void *record, size_t size, spork_native ack), spork__nursery **nursery);
void spork__os_nursery_free(spork__nursery *nursery);
/* What a fork server's child is to run: a record and the handles that came with it (given, then passed, as numbered here). */
typedef struct spork__served {
    void *bytes;
    size_t size;
    int64_t *handles;
    size_t handle_count;
    spork_native ack;
    uint32_t sequence;
    /* Set by the caller: */
    void (*prepare)(void *bytes, size_t size); /* reads a record before the fork */
    spork_native *tree; /* where the tree's handle is kept: in a child it may have to make room for a passed one */
} spork__served;
/* In a spawned child whose record says that it is a fork server: acknowledges, then serves requests on `socket` until its
 * owner is gone. Returns only in its children, or with the reason why it cannot serve. `control` is a 64-bit word
 * that it shares with its owner. */
spork_status spork__os_forkserver_main(spork_native socket, spork_native lifeline, void *control, spork_native ack,
                                       spork__served *served);
/* In such a child, right before its target: false if its owner has given it up meanwhile; it must end unseen. */
bool spork__os_forkserver_claim(void *control, uint32_t sequence);

/* In a child, before anything of the user's runs: the signals' dispositions, the tie to the
 * parent's life, limits, and no descriptors but 0 to 2 and those to keep. */
typedef struct spork__adopt {
    bool reset_signals;
    bool close_others;
    const int64_t *keep;
    size_t keep_count;
    uint32_t ignored;      /* see below; 0: known */
    spork_native lifeline; /* its end of the parent's. SPORK__NO_HANDLE: this process outlives its parent */
    spork__limits limits;
} spork__adopt;
spork_status spork__os_adopt(const spork__adopt *adopt);
/* Signals that were ignored when this program began, as by nohup, a bit each; its children ignore
 * them, too. `note`: once, in a program that a user has started. */
void spork__os_note_ignored(void);
uint32_t spork__os_ignored(void);
/* In a worker: Ctrl-C is for the process that has the pool. */
void spork__os_ignore_interrupts(void);

/* ---- lifeline.c: nobody is orphaned --------------------------------------------------------------------------------- */

/* This process' lifeline: it breaks when this process ends, however that happens. Made at first use, under
 * SPORK__LOCK_START. SPORK__NO_HANDLE where the system needs none. */
spork_status spork__os_lifeline(spork_native *watched_end);
/* In a child: from now on this process is killed when its parent's lifeline breaks; at once, if it has. The end is one that the
 * parent opened for this child alone. */
spork_status spork__os_lifeline_tie(spork_native own_end);
/* In a forked child: lets go of the parent's lifeline, or it would keep the dead alive. Async-signal-safe. */
void spork__os_lifeline_forget(void);

/* ---- bootstrap of spawned children (in spawn.c) --------------------------------------------------------------------- */

/* Was this process started by Spork's spawn? Then its record and acknowledgement handle; the sign is removed from the
 * environment at once. SPORK_NOT_FOUND: no. */
spork_status spork__os_bootstrap(spork__block *record, spork_native *ack, uint64_t *nonce);
/* The child took over: wakes the parent. `message` NULL: all is well; else why it ends now. Closes `ack`. */
void spork__os_acknowledge(spork_native ack, const char *message);

typedef enum spork__ack { SPORK__ACK_OK, SPORK__ACK_REFUSED, SPORK__ACK_DIED, SPORK__ACK_TIMEOUT } spork__ack;
/* Waits for that; closes child->ack unless it gives TIMEOUT. `message`: what the child said. */
spork__ack spork__os_await(spork__child *child, int timeout_ms, char *message, size_t size);

/* ---- process.c and exit.c: children that run, and their end --------------------------------------------------------- */

typedef struct spork__end {
    int exitcode;      /* by process.h's table */
    bool dumped;       /* with a core dump; false where the system does not tell */
    uint32_t native;   /* wait status, or Windows' exit code */
    uint64_t peak_rss; /* bytes; 0: unknown */
    uint64_t cpu_ms;
} spork__end;

/* Waits until it has ended, without reaping. SPORK_OK, SPORK_TIMEOUT. Any number of threads at once. */
spork_status spork__os_wait(const spork__child *child, int timeout_ms);
/* Has it ended? Then reaps it: SPORK_OK and *end; SPORK_TIMEOUT: it runs. One caller at a time, never again after OK. */
spork_status spork__os_reap(spork__child *child, spork__end *end);

typedef enum spork__signal { SPORK__TERMINATE, SPORK__KILL, SPORK__INTERRUPT } spork__signal;
/* To a child that was not reaped. SPORK_OK also if it has just ended. */
spork_status spork__os_signal(spork__child *child, spork__signal signal);
/* Closes the handles. The child itself is not touched. */
void spork__os_child_close(spork__child *child);

#ifdef __cplusplus
}
#endif
#endif
