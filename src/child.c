/* Children end alike on every system and under every start method: their own children are joined, spork_at_child_exit's
 * functions run, stdout and stderr are flushed (these two only: a forked child also has copies of the parent's other streams,
 * and a stream that another thread is blocked in would block us), then _exit. */
#include "child.h"

#include <stdatomic.h>
#include <string.h>

#include "alloc.h"
#include "error.h"
#include "log.h"

typedef struct ending {
    void (*fn)(void *user);
    void *user;
    struct ending *next;
} ending;

static struct {
    bool is_child;
    bool forked;
    int pid;
    atomic_flag ends;
    ending *endings; /* last given first */
} child;             /* under SPORK__LOCK_CHILDREN */

void spork__child_is_one(void)
{
    child.is_child = true;
    atomic_flag_clear(&child.ends); /* its parent's end may have begun */
    child.pid = spork__os_getpid();
    child.endings = NULL; /* a forked child does not end for its parent */
}

spork_status spork_at_child_exit(void (*fn)(void *user), void *user)
{
    if (fn == NULL) return spork__fail(SPORK_INVALID, "spork_at_child_exit: the function is NULL");
    if (!child.is_child)
        return spork__fail(SPORK_BAD_STATE, "spork_at_child_exit: this process was not started by Spork; use atexit");
    ending *e = spork__alloc(sizeof *e, "spork_at_child_exit");
    if (e == NULL) return SPORK_NO_MEMORY;
    e->fn = fn;
    e->user = user;
    spork__os_lock(SPORK__LOCK_CHILDREN);
    e->next = child.endings;
    child.endings = e;
    spork__os_unlock(SPORK__LOCK_CHILDREN);
    return SPORK_OK;
}

static ending *next_ending(void)
{
    spork__os_lock(SPORK__LOCK_CHILDREN);
    ending *e = child.endings;
    if (e != NULL) child.endings = e->next;
    spork__os_unlock(SPORK__LOCK_CHILDREN);
    return e;
}

/* A target that could not unpack what it was given usually returns 1, and nobody hears why: a mistake of the program (SPORK_INVALID) is
 * told by itself, the rest to those who want to see it. */
static void tell_return(int code)
{
    spork_status last = spork_last_status();
    if (code != 0 && last != SPORK_OK)
        spork__log(last == SPORK_INVALID ? SPORK_LOG_WARNING : SPORK_LOG_INFO,
                   "the target returned %d; the last error in it was: %s", code, spork_error());
    else
        spork__log(SPORK_LOG_INFO, "the target returned %d", code);
}

static void exit_was_called(int code);

/* A second call, of exit() in what is done at the end or in another thread, ends the process at
 * once. */
static void end(int code)
{
    if (child.forked) spork__os_on_exit(exit_was_called); /* anew: it is called once */
    if (atomic_flag_test_and_set(&child.ends)) {
        spork__os_flush();
        spork__os_exit(code);
    }
    spork_shutdown();
    for (ending *e; (e = next_ending()) != NULL; spork__free(e)) e->fn(e->user); /* one may give another */
    spork__os_flush();
    spork__os_exit_hooks(child.forked);
    spork__os_exit(code);
}

/* exit() goes no further than that in a forked child: its parent's handlers are not its own, nor
 * what its parent has read and not yet used, or written and not yet flushed. */
static void exit_was_called(int code)
{
    if (child.pid == spork__os_getpid()) end(code & 0xFF); /* else in somebody's plain fork */
}

/* What a shell would show, but never success for what was none. */
static int exit_status(int code) { return code != 0 && (code & 0xFF) == 0 ? 255 : code & 0xFF; }

void spork__child_run(const spork__work *work)
{
    spork__error_forget(); /* a forked child has its parent's last one */
    child.forked = work->forked;
    if (work->forked) spork__os_on_exit(exit_was_called);
    int code = work->run != NULL ? work->run(work->self, work->args) : work->target(work->args);
    tell_return(code);
    end(exit_status(code));
}
