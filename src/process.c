/* Process: the object, its verbs, and the list of those that were started.
 *
 * Who waits, waits for the child's end without a lock and without reaping; who then finds it ended reaps it under
 * SPORK__LOCK_CHILDREN and publishes the result in the object. So any number of threads may join the same process, nobody
 * reaps twice, and no signal handler is needed. What was started and let go is reaped at later calls: no thread. */
#include "processes.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "error.h"
#include "log.h"
#include "shm.h"
#include "threads.h"
#include "tree.h"
#include "value.h"

static struct {
    spork_process *first; /* all that own descriptors: started and not yet destroyed; also those that were let go */
    unsigned count;       /* names: Process-N */
    spork_start_method method;
} all; /* under SPORK__LOCK_CHILDREN */

static char executable[SPORK__PATH_MAX]; /* "": this program. Apart, to keep what every child touches together */

static spork_process ourselves = {
    .relation = SPORK__OURSELVES, .state = SPORK__PROCESS_RUNNING, .name = (char *)"MainProcess"};
static spork_process our_parent = {.relation = SPORK__OUR_PARENT};
static bool have_parent;
static spork_start_method started_by; /* then */
static bool parent_is_unseen; /* it is in another pid namespace: its number means nothing here */

/* ---- settings ---- */

void spork__process_settings(spork_start_method *method, char to[SPORK__PATH_MAX])
{
    spork__os_lock(SPORK__LOCK_CHILDREN);
    *method = all.method;
    memcpy(to, executable, sizeof executable);
    spork__os_unlock(SPORK__LOCK_CHILDREN);
}

static const char *method_name(spork_start_method method)
{
    return method == SPORK_FORK         ? "fork"
           : method == SPORK_SPAWN      ? "spawn"
           : method == SPORK_FORKSERVER ? "forkserver"
                                        : "default";
}

static spork_status check_method(spork_start_method method, const char *call)
{
    if (method < SPORK_DEFAULT || method > SPORK_FORKSERVER)
        return spork__fail(SPORK_INVALID, "%s: %d is no start method", call, (int)method);
    if (method != SPORK_DEFAULT && !spork__os_has_method(method))
        return spork__fail(SPORK_UNSUPPORTED,
                           "%s: this system cannot %s; use SPORK_SPAWN, or SPORK_DEFAULT for its best one", call,
                           method_name(method));
    return SPORK_OK;
}

/* One that cannot be seen lives: this process would have ended with it. */
static bool parent_lives(void)
{
    return parent_is_unseen || spork__os_process_alive(our_parent.child.pid, our_parent.start_time);
}

spork_status spork_set_start_method(spork_start_method method)
{
    spork_status status = check_method(method, "spork_set_start_method");
    if (status != SPORK_OK) return status;
    spork__os_lock(SPORK__LOCK_CHILDREN);
    all.method = method;
    spork__os_unlock(SPORK__LOCK_CHILDREN);
    return SPORK_OK;
}

/* Once, and in the program that the user has started. */
static void tell_unknown_method(const char *wish)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set(&told)) return;
    spork__log(SPORK_LOG_WARNING, "SPORK_START_METHOD=%s: this system has no such start method; children start by %s", wish,
               method_name(spork__os_default_method()));
}

spork_start_method spork_get_start_method(void)
{
    spork__os_lock(SPORK__LOCK_CHILDREN);
    spork_start_method method = all.method;
    spork__os_unlock(SPORK__LOCK_CHILDREN);
    if (method != SPORK_DEFAULT) return method;
    const char *wish = spork__os_getenv("SPORK_START_METHOD");
    for (int m = SPORK_FORK; wish != NULL && m <= SPORK_FORKSERVER; m++)
        if (strcmp(wish, method_name((spork_start_method)m)) == 0 && spork__os_has_method((spork_start_method)m))
            return (spork_start_method)m;
    if (wish != NULL && !have_parent) tell_unknown_method(wish);
    return have_parent && spork__os_has_method(started_by) ? started_by
                                                           : spork__os_default_method();
}

size_t spork_start_methods(spork_start_method *list, size_t room)
{
    size_t count = 0;
    spork_start_method first = spork__os_default_method();
    for (int m = SPORK_DEFAULT; m <= SPORK_FORKSERVER; m++) {
        spork_start_method method = m == SPORK_DEFAULT ? first : (spork_start_method)m;
        if (!spork__os_has_method(method) || (m != SPORK_DEFAULT && method == first)) continue;
        if (count < room && list != NULL) list[count] = method;
        count++;
    }
    return count;
}

spork_status spork_set_executable(const char *path)
{
    if (path != NULL) {
        if (!spork__os_file_exists(path))
            return spork__fail(SPORK_NOT_FOUND, "spork_set_executable: there is no file %s", path);
        if (strlen(path) >= SPORK__PATH_MAX)
            return spork__fail(SPORK_TOO_LARGE, "spork_set_executable: the path is too long");
    }
    spork__os_lock(SPORK__LOCK_CHILDREN);
    memcpy(executable, path != NULL ? path : "", path != NULL ? strlen(path) + 1 : 1);
    spork__os_unlock(SPORK__LOCK_CHILDREN);
    return SPORK_OK; /* a fork server of another program is retired at the next start */
}

/* ---- the list ---- */

static void list_add(spork_process *p)
{
    p->previous = NULL;
    p->next = all.first;
    if (all.first != NULL) all.first->previous = p;
    all.first = p;
}

static void list_remove(spork_process *p)
{
    if (p->next != NULL) p->next->previous = p->previous;
    if (p->previous != NULL)
        p->previous->next = p->next;
    else
        all.first = p->next;
    p->next = p->previous = NULL;
}

/* ---- making ---- */

static char *make_name(const char *wish)
{
    char name[256];
    if (wish != NULL) return spork__strdup(wish, "a process' name");
    spork__os_lock(SPORK__LOCK_CHILDREN);
    unsigned number = ++all.count;
    spork__os_unlock(SPORK__LOCK_CHILDREN);
    if (have_parent)
        snprintf(name, sizeof name, "%s:%u", ourselves.name, number);
    else
        snprintf(name, sizeof name, "Process-%u", number);
    return spork__strdup(name, "a process' name");
}

/* Of one that was started: under the lock, for a fork copies descriptors before it copies memory. What is closed here and what
 * is forgotten there have to be the same to it. */
static void destroy(spork_process *p)
{
    if (p->state != SPORK__PROCESS_NEW) list_remove(p);
    spork__os_child_close(&p->child);
    spork__values_free_copy(p->args);
    spork__free(p->self);
    spork__free(p->pass);
    spork__free(p->name);
    spork__free(p);
}

static spork_status check_options(const spork_process_options *o)
{
    static const char call[] = "spork_process_new_with";
    spork_status status = check_method(o->method, call);
    if (status != SPORK_OK) return status;
    if (o->target == NULL && o->run == NULL)
        return spork__fail(SPORK_INVALID, "%s: there is neither a target nor a run to execute", call);
    if (o->target != NULL && o->run != NULL)
        return spork__fail(SPORK_INVALID, "%s: target and run exclude each other", call);
    if (o->self_size > 0 && (o->self == NULL || o->run == NULL))
        return spork__fail(SPORK_INVALID, "%s: self needs both the struct and run", call);
    if (o->pass_fds_count > 0 && o->pass_fds == NULL) return spork__fail(SPORK_INVALID, "%s: pass_fds is NULL", call);
    if (o->pass_fds_count > 200) return spork__fail(SPORK_TOO_LARGE, "%s: more than 200 pass_fds", call);
    spork__limits limits = {o->max_memory, o->max_cpu_ms, o->max_files};
    status = spork__os_check_limits(&limits);
    return status == SPORK_OK ? SPORK_OK : spork__fail_in(status, "%s", call);
}

static spork_status fill(spork_process *p, const spork_process_options *o)
{
    p->owner = spork__os_getpid();
    p->child = SPORK__NO_CHILD;
    p->end.exitcode = SPORK_RUNNING;
    p->daemon = o->daemon;
    p->outlive_parent = o->outlive_parent;
    p->method = o->method;
    p->limits = (spork__limits){o->max_memory, o->max_cpu_ms, o->max_files};
    p->target = o->target;
    p->run = o->run;
    p->self_size = o->self_size;
    p->pass_count = o->pass_fds_count;
    if ((p->name = make_name(o->name)) == NULL) return SPORK_NO_MEMORY;
    if (o->self_size > 0) {
        if ((p->self = spork__alloc(o->self_size, "a process' self")) == NULL) return SPORK_NO_MEMORY;
        memcpy(p->self, o->self, o->self_size);
    }
    if (p->pass_count > 0) {
        size_t bytes = p->pass_count * sizeof *p->pass;
        if ((p->pass = spork__alloc(bytes, "pass_fds")) == NULL) return SPORK_NO_MEMORY;
        memcpy(p->pass, o->pass_fds, bytes);
    }
    spork_status status = spork__values_copy(&o->args, &p->args);
    for (unsigned i = 0; status == SPORK_OK && i < p->args->count; i++)
        if (p->args->items[i].kind == SPORK__KIND_POINTER)
            status = spork__fail(SPORK_INVALID,
                                 "argument %u is a plain pointer, which means nothing to another process", i + 1);
    return status;
}

spork_process *spork__process_new(const spork_process_options *options, size_t size)
{
    spork_process_options o;
    if (options == NULL) {
        spork__fail(SPORK_INVALID, "spork_process_new_with: the options are NULL");
        return NULL;
    }
    memset(&o, 0, sizeof o);
    memcpy(&o, options,
           size < sizeof o ? size : sizeof o); /* an older program's are shorter: the rest is the default */
    if (check_options(&o) != SPORK_OK) return NULL;
    spork_process *p = spork__alloc(sizeof *p, "a process");
    if (p == NULL) return NULL;
    spork_status status = fill(p, &o);
    if (status == SPORK_OK) return p;
    spork__fail_in(status, "spork_process_new(%s)", p->name != NULL ? p->name : "");
    destroy(p);
    return NULL;
}

spork_process *spork_process_new(spork_target target, spork_args args)
{
    spork_process_options options;
    memset(&options, 0, sizeof options);
    options.target = target;
    options.args = args;
    return spork__process_new(&options, sizeof options);
}

/* ---- children that come and go ---- */

void spork__process_forget_all(void)
{
    /* In a forked child, alone. The parent's objects stay in memory, and answer SPORK_NOT_YOURS; their descriptors are
     * closed: a copy of a lifeline or a sentinel in here would outlive what it stands for. */
    for (spork_process *p = all.first; p != NULL; p = p->next) spork__os_child_close(&p->child);
    all.first = NULL;
    have_parent = false;
    spork__os_lifeline_forget();
    spork__os_forkserver_forget();
    spork__shm_forked();
    spork__threads_forked();
    spork__tree_forked();
}

/* Has it ended? Then it is reaped. Under the lock. */
static bool look(spork_process *p)
{
    if (p->state != SPORK__PROCESS_RUNNING) return p->state == SPORK__PROCESS_ENDED;
    if (spork__os_reap(&p->child, &p->end) != SPORK_OK) return false;
    p->state = SPORK__PROCESS_ENDED;
    return true;
}

/* Reaps what was let go and has ended. */
void spork__process_sweep(void)
{
    spork__os_lock(SPORK__LOCK_CHILDREN);
    for (spork_process *p = all.first, *next; p != NULL; p = next) {
        next = p->next;
        if (p->freed && look(p)) destroy(p);
    }
    spork__os_unlock(SPORK__LOCK_CHILDREN);
}

void spork__process_let_go(spork_process *p)
{
    spork_process *rest = spork__alloc(sizeof *rest, "a process");
    if (rest == NULL) return;
    rest->owner = p->owner;
    rest->state = SPORK__PROCESS_RUNNING;
    rest->freed = rest->hidden = rest->daemon = rest->outlive_parent = true; /* nobody waits for it */
    rest->child = p->child;
    spork__os_lock(SPORK__LOCK_CHILDREN);
    p->child = SPORK__NO_CHILD;
    list_add(rest);
    spork__os_unlock(SPORK__LOCK_CHILDREN);
}

spork_status spork__process_claim(spork_process *p)
{
    spork_status status = SPORK_OK;
    spork__os_lock(SPORK__LOCK_CHILDREN);
    if (p->state != SPORK__PROCESS_NEW)
        status =
            spork__fail(SPORK_BAD_STATE,
                        "spork_process_start(%s): it was started before; make a new process for another run", p->name);
    else {
        p->state = SPORK__PROCESS_STARTING;
        list_add(p);
    }
    spork__os_unlock(SPORK__LOCK_CHILDREN);
    return status;
}

void spork__process_settle(spork_process *p, spork__process_state state)
{
    spork__os_lock(SPORK__LOCK_CHILDREN);
    p->state = state;
    if (state == SPORK__PROCESS_NEW) {
        list_remove(p);
        spork__os_child_close(&p->child);
        p->child = SPORK__NO_CHILD;
    }
    spork__os_unlock(SPORK__LOCK_CHILDREN);
}

const char *spork__exit_text(int code, char text[64])
{
    if (code == SPORK_EXIT_UNKNOWN)
        snprintf(text, 64, "ended, how is unknown");
    else if (code < 0)
        snprintf(text, 64, "died of signal %d", -code);
    else
        snprintf(text, 64, "ended with exit code %d", code);
    return text;
}

/* ---- checks ---- */

spork_status spork__process_check(const spork_process *p, const char *call)
{
    if (p == NULL) return SPORK_INVALID; /* the sentence of what made it NULL says more */
    if (p->relation != SPORK__OUR_CHILD)
        return spork__fail(SPORK_BAD_STATE, "%s(%s): this is %s, not a child of this process", call, p->name,
                           p->relation == SPORK__OURSELVES ? "this process itself" : "the parent process");
    if (p->owner != spork__os_getpid())
        return spork__fail(SPORK_NOT_YOURS,
                           "%s(%s): it belongs to process %d, which made it, and this is a fork of that one", call,
                           p->name, p->owner);
    return SPORK_OK;
}

/* Whether its `child` is filled in for good; before that the starting thread writes there. */
static bool was_started(const spork_process *p)
{
    spork__os_lock(SPORK__LOCK_CHILDREN);
    bool started = p->state >= SPORK__PROCESS_RUNNING;
    spork__os_unlock(SPORK__LOCK_CHILDREN);
    return started;
}

/* ---- the running child ---- */

static spork_status join_parent(int timeout_ms)
{
    uint64_t until = spork__os_now() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms) * 1000000;
    while (parent_lives()) {
        if (timeout_ms >= 0 && spork__os_now() >= until)
            return spork__fail(SPORK_TIMEOUT, "spork_process_join(%s): it still runs", our_parent.name);
        spork_sleep(10); /* a grandparent's business at most: no descriptor is kept for it */
    }
    return SPORK_OK;
}

static spork_status check_started(spork_process *p, const char *call)
{
    spork_status status = spork__process_check(p, call);
    if (status != SPORK_OK) return status;
    return was_started(p) ? SPORK_OK : spork__fail(SPORK_BAD_STATE, "%s(%s): it was not started", call, p->name);
}

spork_status spork_process_join(spork_process *p, int timeout_ms)
{
    static const char call[] = "spork_process_join";
    if (p != NULL && timeout_ms < SPORK_FOREVER) return spork__refuse_time(timeout_ms, call);
    if (p == &our_parent) return join_parent(timeout_ms);
    if (p == &ourselves) return spork__fail(SPORK_BAD_STATE, "%s(%s): a process cannot join itself", call, p->name);
    spork_status status = check_started(p, call);
    if (status != SPORK_OK) return status;
    uint64_t until = spork__os_now() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms) * 1000000;
    for (int left = timeout_ms;;) {
        if (timeout_ms != 0) spork__os_cancel_allow(NULL);
        status = spork__os_wait(&p->child, left);
        spork__os_cancel_forbid();
        spork__os_lock(SPORK__LOCK_CHILDREN);
        bool ended = look(p);
        spork__os_unlock(SPORK__LOCK_CHILDREN);
        if (ended) break;
        uint64_t now = spork__os_now();
        if (timeout_ms >= 0 && (status == SPORK_TIMEOUT || now >= until))
            return spork__fail(SPORK_TIMEOUT, "%s(%s): it still runs after %d ms", call, p->name, timeout_ms);
        if (timeout_ms >= 0) left = (int)((until - now + 999999) / 1000000);
        if (status == SPORK_OK) spork__os_sleep(1); /* it has ended, but whoever traces it has not seen it */
    }
    return SPORK_OK;
}

static spork_status send(spork_process *p, spork__signal signal, const char *call)
{
    spork_status status = check_started(p, call);
    if (status != SPORK_OK) return status;
    spork__os_lock(SPORK__LOCK_CHILDREN); /* nobody reaps meanwhile: the number cannot become another's */
    if (!look(p)) status = spork__os_signal(&p->child, signal);
    spork__os_unlock(SPORK__LOCK_CHILDREN);
    return status == SPORK_OK ? SPORK_OK : spork__fail_in(status, "%s(%s)", call, p->name);
}

spork_status spork_process_terminate(spork_process *p) { return send(p, SPORK__TERMINATE, "spork_process_terminate"); }
spork_status spork_process_kill(spork_process *p) { return send(p, SPORK__KILL, "spork_process_kill"); }
spork_status spork_process_interrupt(spork_process *p) { return send(p, SPORK__INTERRUPT, "spork_process_interrupt"); }

/* A look at a process that is only asked, not changed, as the caller sees it. */
static int exitcode_now(const spork_process *cp)
{
    spork_process *p = (spork_process *)(uintptr_t)cp;
    if (p == NULL || p->relation != SPORK__OUR_CHILD || p->owner != spork__os_getpid()) return SPORK_RUNNING;
    spork__os_lock(SPORK__LOCK_CHILDREN);
    look(p);
    int code = p->end.exitcode;
    spork__os_unlock(SPORK__LOCK_CHILDREN);
    return code;
}

bool spork_process_is_alive(const spork_process *p)
{
    if (p == NULL) return false;
    if (p == &ourselves) return true;
    if (p == &our_parent) return parent_lives();
    if (p->owner != spork__os_getpid() || exitcode_now(p) != SPORK_RUNNING) return false;
    spork__os_lock(SPORK__LOCK_CHILDREN);
    bool running = p->state == SPORK__PROCESS_RUNNING;
    spork__os_unlock(SPORK__LOCK_CHILDREN);
    return running;
}

int spork_process_exitcode(const spork_process *p) { return exitcode_now(p); }

int spork_process_pid(const spork_process *p)
{
    if (p == NULL) return 0;
    if (p == &ourselves) return spork__os_getpid();
    return p == &our_parent || was_started(p) ? p->child.pid : 0;
}

const char *spork_process_name(const spork_process *p) { return p != NULL ? p->name : ""; }

bool spork_process_is_daemon(const spork_process *p) { return p != NULL && p->daemon; }

spork_native spork_process_sentinel(const spork_process *p)
{
    bool ours = p != NULL && p->relation == SPORK__OUR_CHILD && p->owner == spork__os_getpid();
    return ours && was_started(p) ? p->child.handle : SPORK__NO_HANDLE;
}

static spork_status judge(const spork_process *p, bool near_memory)
{
    int code = p->end.exitcode;
    if (code == SPORK_EXIT_UNKNOWN) return SPORK_BROKEN;
    if (code == 0) return SPORK_OK;
    if (near_memory || (p->limits.max_cpu_ms != 0 && code == -24)) return SPORK_OVER_LIMIT;
    return code < 0 ? SPORK_CRASHED : SPORK_FAILED;
}

spork_status spork_process_outcome(const spork_process *p)
{
    static const char call[] = "spork_process_outcome";
    char text[64], memory[96] = "", cpu[96] = "";
    spork_status status = check_started((spork_process *)(uintptr_t)p, call);
    if (status != SPORK_OK) return status;
    if (exitcode_now(p) == SPORK_RUNNING) return spork__fail(SPORK_TIMEOUT, "%s(%s): it still runs", call, p->name);
    uint64_t limit = p->limits.max_memory;
    bool near_memory = limit != 0 && p->end.peak_rss >= limit / 10 * 9;
    if (limit != 0)
        snprintf(memory, sizeof memory, "; of its %llu MiB of memory it used %llu %% at its peak",
                 (unsigned long long)(limit >> 20), (unsigned long long)(p->end.peak_rss / (limit / 100 + 1)));
    if (p->limits.max_cpu_ms != 0)
        snprintf(cpu, sizeof cpu, "; of its %llu ms of CPU time it used %llu", (unsigned long long)p->limits.max_cpu_ms,
                 (unsigned long long)p->end.cpu_ms);
    return spork__fail(judge(p, near_memory), "%s (pid %d) %s%s, native code 0x%x%s%s", p->name,
                       p->child.pid, spork__exit_text(p->end.exitcode, text),
                       p->end.dumped ? " (core dumped)" : "", p->end.native, memory, cpu);
}

void spork_process_free(spork_process *p)
{
    if (p == NULL || p->relation != SPORK__OUR_CHILD || p->owner != spork__os_getpid()) return;
    spork__os_lock(SPORK__LOCK_CHILDREN);
    bool gone = p->state == SPORK__PROCESS_NEW || look(p);
    if (gone)
        destroy(p);
    else
        p->freed = true;
    spork__os_unlock(SPORK__LOCK_CHILDREN);
    spork__process_sweep();
}

/* ---- this process, its parent, its children ---- */

int spork_getppid(void)
{
    int parent = spork__os_getppid();
    if (!have_parent || parent == our_parent.child.pid) return parent;
    /* a fork server that relays is our parent by name only; the one that asked it is meant */
    return spork__os_process_alive(our_parent.child.pid, our_parent.start_time) ? our_parent.child.pid : parent;
}

spork_process *spork_current_process(void) { return &ourselves; }
spork_process *spork_parent_process(void) { return have_parent ? &our_parent : NULL; }

size_t spork_active_children(spork_process **list, size_t room)
{
    size_t count = 0;
    spork__process_sweep();
    spork__os_lock(SPORK__LOCK_CHILDREN);
    for (spork_process *p = all.first, *next; p != NULL; p = next) {
        next = p->next;
        if (p->freed || p->hidden || p->state != SPORK__PROCESS_RUNNING || look(p)) continue;
        if (count < room && list != NULL) list[count] = p;
        count++;
    }
    spork__os_unlock(SPORK__LOCK_CHILDREN);
    return count;
}

spork_status spork__process_become(const spork__startup *startup)
{
    spork_status status = SPORK_OK;
    ourselves.name = (char *)(uintptr_t)startup->name;
    our_parent.name = (char *)(uintptr_t)startup->parent_name;
    our_parent.child = SPORK__NO_CHILD;
    our_parent.child.pid = startup->parent_pid;
    our_parent.start_time = startup->parent_start;
    have_parent = true;
    parent_is_unseen = spork__os_getppid() == 0;
    started_by = startup->started_by;
    ourselves.daemon = startup->daemon;
    all.count = 0;
    spork__thread_is_main();
    spork__log_name(startup->name);
    spork__tree_name(startup->name);
    if (startup->handles != NULL) { /* spawned: settings and the tree do not come by themselves */
        all.method = startup->method;
        if (startup->executable != NULL) snprintf(executable, sizeof executable, "%s", startup->executable);
        status = spork__tree_map((spork_native)startup->handles[SPORK__GIVEN_TREE]);
    }
    return status;
}

/* ---- the end ---- */

void spork__processes_terminate_daemons(void)
{
    int self = spork__os_getpid();
    spork__os_lock(SPORK__LOCK_CHILDREN);
    for (spork_process *p = all.first; p != NULL; p = p->next)
        if (p->daemon && p->state == SPORK__PROCESS_RUNNING && p->owner == self)
            spork__os_signal(&p->child, SPORK__TERMINATE);
    spork__os_unlock(SPORK__LOCK_CHILDREN);
}

bool spork__process_kill_daemon(char *name, size_t size)
{
    int self = spork__os_getpid();
    spork__os_lock(SPORK__LOCK_CHILDREN);
    spork_process *p = all.first;
    while (p != NULL && (!p->daemon || p->killed_at_end || p->owner != self ||
                         p->state != SPORK__PROCESS_RUNNING || look(p)))
        p = p->next;
    if (p != NULL) {
        p->killed_at_end = true;
        snprintf(name, size, "%s", p->name);
        spork__os_signal(&p->child, SPORK__KILL);
    }
    spork__os_unlock(SPORK__LOCK_CHILDREN);
    return p != NULL;
}

/* Most processes have no children, and get here. */
bool spork__process_left(bool daemons, spork__child *child, char *name, size_t size)
{
    spork__os_lock(SPORK__LOCK_CHILDREN);
    spork_process *waiting = NULL;
    for (spork_process *p = all.first, *next; p != NULL; p = next) {
        next = p->next;
        if (p->state != SPORK__PROCESS_RUNNING || (p->freed && p->outlive_parent)) continue;
        if (!look(p))
            waiting = p->daemon == daemons ? p : waiting;
        else if (p->freed)
            destroy(p);
    }
    if (waiting != NULL) {
        *child = waiting->child;
        snprintf(name, size, "%s", waiting->name);
    }
    spork__os_unlock(SPORK__LOCK_CHILDREN);
    return waiting != NULL;
}
