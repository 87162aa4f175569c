/* Starting a process: what each start method needs is put together here, and handed to the platform. */
#include "processes.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "bootstrap.h"
#include "child.h"
#include "deadline.h"
#include "error.h"
#include "fault.h"
#include "log.h"
#include "tree.h"
#include "value.h"

enum { START_TIMEOUT_MS = 30000, KILL_TIMEOUT_MS = 10000, ACK_TEXT = 512 };

static void warn_of_threads(void)
{
    static _Atomic int warned_in; /* by process: a child warns for itself */
    if (warned_in == spork__os_getpid()) return;
    int threads = spork__os_thread_count();
    if (threads < 2) return;
    warned_in = spork__os_getpid();
    spork__log(SPORK_LOG_WARNING,
               "fork in a program with %d threads: the child must not touch what the other threads held locked at that "
               "moment; SPORK_FORKSERVER starts children nearly as fast and without that risk",
               threads);
}

/* What fork's child needs, in the memory that it inherits. Small: after a fork each page that either side writes to is copied,
 * and that is what a start costs. */
typedef struct fork_child {
    spork_process *process;
    const spork__startup *startup;
    const spork__parcels *parcels; /* NULL: no objects */
} fork_child;

static void fork_main(void *user, spork_native ack, spork_native lifeline)
{
    fork_child *f = user;
    spork_process *p = f->process;
    spork__work work = {p->target, p->run, p->self, p->args, true};
    spork__adopt adopt = {.reset_signals = true, .lifeline = lifeline, .limits = p->limits};
    spork__log_name(p->name);
    spork__os_drop_unwritten();
    for (size_t i = 0; i < p->pass_count; i++) spork__os_handle_inherit(p->pass[i], true);
    spork_status status = spork__os_adopt(&adopt);
    spork__child_is_one();
    if (status == SPORK_OK) status = spork__process_become(f->startup);
    if (status == SPORK_OK) status = spork__objects_after_fork(p->args, f->parcels);
    if (status != SPORK_OK) {
        if (ack == SPORK__NO_HANDLE) spork__log(SPORK_LOG_ERROR, "%s cannot begin: %s", p->name, spork_error());
        spork__os_acknowledge(ack, spork_error());
        spork__os_exit(1);
    }
    spork__os_line_buffer();
    spork__os_acknowledge(ack, NULL);
    spork__child_run(&work);
}

/* The record of a fork server: no work, the same surroundings. */
static spork_status server_record(spork__block *block, uint64_t nonce, int64_t **handles, void **control)
{
    spork__startup startup;
    size_t size = 0;
    memset(&startup, 0, sizeof startup);
    startup.nonce = nonce;
    startup.is_server = true;
    startup.name = "ForkServer";
    startup.parent_name = spork_process_name(spork_current_process());
    startup.parent_pid = spork__os_getpid();
    startup.ignored = spork__os_ignored();
    startup.handle_count = SPORK__GIVEN_OBJECTS + 1; /* its socket */
    spork_status status = spork__record_size(&startup, &size);
    if (status != SPORK_OK || (status = spork__os_block_new(block, size)) != SPORK_OK) return status;
    *control = spork__record_control(block->data);
    return spork__record_write(&startup, block->data, size, handles);
}

static bool has_objects(const spork_process *p)
{
    for (unsigned i = 0; i < p->args->count; i++)
        if (p->args->items[i].kind >= SPORK__KIND_OBJECT) return true;
    return false;
}

/* Whether anything can still go wrong in a forked child before its target runs: then it is waited for. Without objects, passed
 * descriptors and limits nothing can, and nobody needs to be woken up. */
static bool may_fail(const spork_process *p)
{
    return has_objects(p) || p->pass_count > 0 || p->limits.max_memory != 0 || p->limits.max_cpu_ms != 0 ||
           p->limits.max_files != 0;
}

/* Fork: no record, the child inherits all. */
static spork_status launch_fork(spork_process *p, const spork__startup *startup, spork__launch *launch)
{
    fork_child f = {p, startup, startup->parcels};
    warn_of_threads();
    spork_status status = spork__function_check(p->run != NULL ? (uintptr_t)p->run : (uintptr_t)p->target);
    if (status != SPORK_OK) return status;
    launch->child_main = fork_main;
    launch->user = &f;
    launch->acknowledge = may_fail(p);
    return spork__os_fork(launch, &p->child);
}

static spork_status launch_spawn(spork__startup *startup, spork__launch *launch, spork__child *child)
{
    spork__block block;
    size_t size = 0;
    memset(&block, 0, sizeof block);
    startup->nonce = launch->nonce = spork__os_nonce();
    spork_status status = spork__record_size(startup, &size);
    if (status != SPORK_OK) return status;
    spork__os_lock(SPORK__LOCK_START); /* a fork in another thread would copy the block's descriptor */
    status = spork__os_block_new(&block, size);
    if (status == SPORK_OK) status = spork__record_write(startup, block.data, size, &launch->given_there);
    launch->record = &block;
    if (status == SPORK_OK) status = spork__os_spawn(launch, child);
    spork__os_block_free(&block);
    spork__os_unlock(SPORK__LOCK_START);
    return status;
}

static spork_status launch_forkserver(spork_process *p, const spork__startup *startup, spork__launch *launch)
{
    size_t size = 0;
    spork_status status = spork__record_size(startup, &size);
    if (status != SPORK_OK) return status;
    void *bytes = spork__alloc(size, "a process' arguments");
    if (bytes == NULL) return SPORK_NO_MEMORY;
    status = spork__record_write(startup, bytes, size, &launch->given_there);
    launch->bytes = bytes;
    launch->bytes_size = size;
    launch->server_record = server_record;
    launch->nursery = p->nursery;
    /* only what can still fail in the child has to be waited for; the server checks the rest */
    launch->acknowledge = may_fail(p) || !startup->function->is_program;
    if (status == SPORK_OK) status = spork__os_forkserver(launch, &p->child);
    spork__free(bytes);
    return status;
}

/* Asked once in each process: it opens a file, which a fork in another thread would copy. */
static uint64_t own_start_time(int pid)
{
    static int known_pid;
    static uint64_t known;
    spork__os_lock(SPORK__LOCK_START);
    if (known_pid != pid) known = spork__os_start_time(pid);
    known_pid = pid;
    uint64_t start = known;
    spork__os_unlock(SPORK__LOCK_START);
    return start;
}

/* What only a child with a record is told. Allocated: see fork_child. */
typedef struct told {
    spork__function function;
    char executable[SPORK__PATH_MAX]; /* the setting as it is now */
} told;

static spork_status launch_record(spork_process *p, spork_start_method method, spork__startup *startup,
                                  spork__launch *launch)
{
    told *t = spork__alloc(sizeof *t, "a process' description");
    if (t == NULL) return SPORK_NO_MEMORY;
    spork__process_settings(&startup->method, t->executable);
    if (t->executable[0] != 0) launch->executable = startup->executable = t->executable;
    startup->function = &t->function;
    spork_status status =
        spork__function_export(p->run != NULL ? (uintptr_t)p->run : (uintptr_t)p->target, &t->function);
    if (status == SPORK_OK)
        status =
            method == SPORK_SPAWN ? launch_spawn(startup, launch, &p->child) : launch_forkserver(p, startup, launch);
    spork__free(t);
    return status;
}

/* The handles that every child is given: the tree, the lifeline. */
static spork_status gather(const spork_process *p, spork_native given[SPORK__GIVEN_OBJECTS])
{
    spork_status status = spork__tree_open(&given[SPORK__GIVEN_TREE]);
    given[SPORK__GIVEN_LIFELINE] = SPORK__NO_HANDLE;
    if (status != SPORK_OK || p->outlive_parent) return status;
    spork__os_lock(SPORK__LOCK_START);
    status = spork__os_lifeline(&given[SPORK__GIVEN_LIFELINE]);
    spork__os_unlock(SPORK__LOCK_START);
    return status;
}

spork_status spork__process_nursery(spork__nursery **nursery)
{
    spork_native given[SPORK__GIVEN_OBJECTS] = {SPORK__NO_HANDLE, SPORK__NO_HANDLE};
    spork__launch launch = {.name = "a nursery",
                            .given = given,
                            .given_count = SPORK__GIVEN_OBJECTS,
                            .server_record = server_record};
    warn_of_threads();
    spork__os_flush();
    spork_status status = spork__tree_open(&given[SPORK__GIVEN_TREE]);
    return status == SPORK_OK ? spork__os_nursery_new(&launch, spork__bootstrap_nursery, nursery) : status;
}

/* With all that it is given: `given` is followed by its objects' handles. */
static spork_status launch_with(spork_process *p, spork_native *given, size_t given_count,
                                const spork__parcels *parcels)
{
    spork_start_method method = p->method != SPORK_DEFAULT ? p->method : spork_get_start_method();
    spork__launch launch = {.name = p->name,
                            .outlive_parent = p->outlive_parent,
                            .limits = p->limits,
                            .given = given,
                            .given_count = given_count,
                            .pass = p->pass,
                            .pass_count = p->pass_count};
    spork__startup startup = {.name = p->name,
                              .parent_name = spork_process_name(spork_current_process()),
                              .parent_pid = spork__os_getpid(),
                              .ignored = spork__os_ignored(),
                              .started_by = p->nursery != NULL ? SPORK_FORK : method,
                              .daemon = p->daemon,
                              .use_run = p->run != NULL,
                              .outlive_parent = p->outlive_parent,
                              .self = p->self,
                              .self_size = p->self_size,
                              .args = *p->args,
                              .parcels = parcels,
                              .limits = p->limits,
                              .handle_count = given_count,
                              .pass = p->pass,
                              .pass_count = p->pass_count};
    startup.parent_start = own_start_time(startup.parent_pid);
    spork_status status = gather(p, given);
    if (status != SPORK_OK) return status;
    return method == SPORK_FORK ? launch_fork(p, &startup, &launch) : launch_record(p, method, &startup, &launch);
}

static spork_status launch_with_objects(spork_process *p)
{
    size_t handle_count = 0;
    spork__parcels *parcels = spork__alloc(sizeof *parcels, "a process' objects");
    if (parcels == NULL) return SPORK_NO_MEMORY;
    spork_status status = spork__objects_give(p->args, parcels, &handle_count);
    spork_native *given = NULL;
    if (status == SPORK_OK) {
        given = spork__alloc((SPORK__GIVEN_OBJECTS + handle_count) * sizeof *given, "a process' handles");
        status = given == NULL ? SPORK_NO_MEMORY : SPORK_OK;
    }
    if (status == SPORK_OK) {
        spork__objects_handles(p->args, parcels, given + SPORK__GIVEN_OBJECTS);
        status = launch_with(p, given, SPORK__GIVEN_OBJECTS + handle_count, parcels);
    }
    spork__free(given);
    spork__free(parcels);
    return status;
}

spork_status spork__process_launch(spork_process *p)
{
    spork_native few[SPORK__GIVEN_OBJECTS];
    spork_status status = spork__process_claim(p);
    if (status != SPORK_OK) return status;
    spork__os_flush();
    status = has_objects(p) ? launch_with_objects(p) : launch_with(p, few, SPORK__GIVEN_OBJECTS, NULL);
    if (status == SPORK_OK) return SPORK_OK;
    spork__process_settle(p, SPORK__PROCESS_NEW);
    return spork__fail_in(status, "spork_process_start(%s)", p->name);
}

int spork__process_patience(void)
{
    const char *wish = spork__os_getenv("SPORK_START_TIMEOUT_MS");
    long ms = wish != NULL ? strtol(wish, NULL, 10) : 0;
    return ms > 0 && ms < INT32_MAX ? (int)ms : START_TIMEOUT_MS;
}

/* What a child that was late has said before it was killed for it. */
static spork__ack last_word(spork_process *p, char *message, size_t size)
{
    spork__ack ack =
        p->child.ack != SPORK__NO_HANDLE ? spork__os_await(&p->child, 0, message, size) : SPORK__ACK_TIMEOUT;
    return ack == SPORK__ACK_DIED ? SPORK__ACK_TIMEOUT : ack;
}

/* A killed process may linger: in the kernel, on a dead network disk; or as a zombie that is not ours to
 * reap before whoever traces it (a debugger, a leak checker) has seen it. */
static bool is_gone_in_time(spork_process *p, spork__end *end)
{
    spork__deadline d = {.timeout_ms = KILL_TIMEOUT_MS};
    for (int left; (left = spork__deadline_left(&d)) != 0;) {
        spork__os_wait(&p->child, left);
        if (spork__os_reap(&p->child, end) != SPORK_TIMEOUT) return true;
        spork__os_sleep(1);
    }
    return false;
}

/* It did not take over: whatever is left of it goes, and the sentence says why. */
static spork_status failed_start(spork_process *p, spork__ack ack, char message[ACK_TEXT], int timeout_ms)
{
    char text[64];
    spork__end end = {.exitcode = SPORK_EXIT_UNKNOWN};
    if (ack == SPORK__ACK_TIMEOUT) spork__at(SPORK__AT_START_TIME_OVER);
    spork__os_signal(&p->child, SPORK__KILL);
    bool gone = is_gone_in_time(p, &end);
    if (ack == SPORK__ACK_TIMEOUT) ack = last_word(p, message, ACK_TEXT);
    if (!gone) {
        spork__log(SPORK_LOG_WARNING, "%s (pid %d) was killed and has not ended yet", p->name, p->child.pid);
        spork__process_let_go(p);
    }
    if (ack == SPORK__ACK_REFUSED)
        spork__fail(SPORK_INVALID, "spork_process_start(%s): the child could not begin: %s", p->name, message);
    else if (ack == SPORK__ACK_OK)
        spork__fail(
            SPORK_BROKEN,
            "spork_process_start(%s): the child took over when its %d ms were just over, and was killed: what it "
            "is for may have been begun (SPORK_START_TIMEOUT_MS sets the time)",
            p->name, timeout_ms);
    else if (ack == SPORK__ACK_TIMEOUT)
        spork__fail(SPORK_BROKEN,
                    "spork_process_start(%s): the child did not reach spork_init within %d ms; make "
                    "spork_init(argc, argv); the first line of main() (SPORK_START_TIMEOUT_MS sets the time)",
                    p->name, timeout_ms);
    else if (end.exitcode >= 0)
        spork__fail(SPORK_BROKEN,
                    "spork_process_start(%s): the child %s before it had taken over; is spork_init(argc, argv); the "
                    "first line of main()?",
                    p->name, spork__exit_text(end.exitcode, text));
    else
        spork__fail(SPORK_BROKEN, "spork_process_start(%s): the child %s during its bootstrap", p->name,
                    spork__exit_text(end.exitcode, text));
    spork__process_settle(p, SPORK__PROCESS_NEW);
    return spork_last_status();
}

spork_status spork__process_await(spork_process *p, int timeout_ms)
{
    char message[ACK_TEXT] = "";
    if (p->child.ack != SPORK__NO_HANDLE) {
        spork__ack ack = spork__os_await(&p->child, timeout_ms, message, sizeof message);
        if (ack != SPORK__ACK_OK) return failed_start(p, ack, message, timeout_ms);
    }
    spork__objects_moved(p->args);
    spork__process_settle(p, SPORK__PROCESS_RUNNING);
    return SPORK_OK;
}

spork_status spork_process_start(spork_process *p)
{
    spork_status status = spork__process_check(p, "spork_process_start");
    if (status == SPORK_OK) status = spork__bootstrap_check("spork_process_start");
    if (status != SPORK_OK) return status;
    spork__process_sweep();
    status = spork__process_launch(p);
    if (status == SPORK_OK) status = spork__process_await(p, spork__process_patience());
    if (status == SPORK_OK) spork__log(SPORK_LOG_INFO, "%s was started, pid %d", p->name, p->child.pid);
    return status;
}
