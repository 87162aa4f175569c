/* spork_init: in a program that a user started it remembers the program; in a child it reads the record that its parent made,
 * becomes what that says, and does not return. */
#include "bootstrap.h"

#include <stdatomic.h>
#include <string.h>

#include "alloc.h"
#include "base.h"
#include "child.h"
#include "error.h"
#include "log.h"
#include "processes.h"
#include "object.h"
#include "record.h"
#include "threads.h"
#include "tree.h"

static atomic_bool initialised;

spork_status spork__bootstrap_check(const char *call)
{
    if (atomic_load_explicit(&initialised, memory_order_acquire)) return SPORK_OK;
    return spork__fail(SPORK_BAD_STATE,
                       "%s: spork_init was not called, or has not returned; make it the first line of main:\n"
                       "    int main(int argc, char **argv)\n    {\n        spork_init(argc, argv);",
                       call);
}

/* Ends a child that cannot start; the parent gets the sentence. */
static void refuse(spork_native ack)
{
    spork__os_acknowledge(ack, spork_error());
    spork__os_exit(1);
}

/* What is Spork's ends with this program, what was passed is also for one that it executes: alike
 * under every method, however it came here. */
static void set_inheritance(const spork__startup *startup, spork_native ack)
{
    size_t all = startup->handle_count + startup->pass_count;
    if (ack != SPORK__NO_HANDLE) spork__os_handle_inherit(ack, false);
    for (size_t i = 0; i < all; i++) {
        spork_native handle = (spork_native)startup->handles[i];
        if (handle != SPORK__NO_HANDLE)
            spork__os_handle_inherit(handle, i >= startup->handle_count);
    }
}

/* From a record that was read to the running target; the same in a spawned child and in a fork server's. `served` is NULL in
 * the former. */
static void run_child(spork__startup *startup, uintptr_t address, spork_native ack, const spork__served *served,
                      void *control)
{
    size_t keep_count = startup->handle_count + startup->pass_count + 1;
    int64_t *keep = NULL;
    if (served == NULL) { /* a server's child has nothing else to close */
        if ((keep = spork__alloc(keep_count * sizeof *keep, "a child's handles")) == NULL) refuse(ack);
        memcpy(keep, startup->handles, (keep_count - 1) * sizeof *keep);
        keep[keep_count - 1] = ack;
    }
    set_inheritance(startup, ack);
    spork__adopt adopt = {.reset_signals = served == NULL,
                          .ignored = startup->ignored,
                          .close_others = keep != NULL,
                          .keep = keep,
                          .keep_count = keep != NULL ? keep_count : 0,
                          .lifeline = (spork_native)startup->handles[SPORK__GIVEN_LIFELINE],
                          .limits = startup->limits};
    if (spork__os_adopt(&adopt) != SPORK_OK) refuse(ack);
    spork__free(keep);
    if (served == NULL && spork__os_remember_program(NULL) != SPORK_OK) refuse(ack);
    spork__child_is_one();
    if (spork__process_become(startup) != SPORK_OK ||
        (address == 0 && spork__function_import(startup->function, &address) != SPORK_OK) ||
        spork__objects_take(&startup->args, startup->handles + SPORK__GIVEN_OBJECTS,
                            startup->handle_count - SPORK__GIVEN_OBJECTS) != SPORK_OK)
        refuse(ack);
    spork__work work = {.self = startup->self, .args = &startup->args, .forked = served != NULL};
    if (startup->use_run)
        work.run = (int (*)(void *, const spork_args *))address;
    else
        work.target = (spork_target)address;
    if (served != NULL && !spork__os_forkserver_claim(control, served->sequence)) spork__os_exit(0);
    spork__os_line_buffer();
    atomic_store_explicit(&initialised, true, memory_order_release); /* from here on it may start processes itself */
    spork__os_acknowledge(ack, NULL);
    spork__child_run(&work);
}

/* A server's next child, as far as it is known before the fork. */
static struct {
    spork__startup startup;
    bool readable;
    uintptr_t address; /* 0: still to be looked for; a library is loaded in the child that asks for it, not here */
} next;

static void prepare(void *bytes, size_t size)
{
    next.readable = spork__record_read(bytes, size, &next.startup) == SPORK_OK;
    next.address = 0;
    if (next.readable && next.startup.function->is_program &&
        spork__function_import(next.startup.function, &next.address) != SPORK_OK)
        next.address = 0; /* the child finds out again, and says so */
}

/* A fork server: serves, and comes back from that only in a child. */
static void serve(void *bytes, spork__startup *startup, spork_native ack)
{
    static spork__served served = {.prepare = prepare};
    spork__log_name(startup->name);
    served.tree = spork__tree_handle();
    void *control = spork__record_control(bytes);
    if (spork__os_forkserver_main((spork_native)startup->handles[SPORK__GIVEN_OBJECTS],
                                  (spork_native)startup->handles[SPORK__GIVEN_LIFELINE], control, ack,
                                  &served) != SPORK_OK)
        refuse(ack);
    spork__tree_forked(); /* by a raw clone, perhaps, which tells nobody */
    spork__startup *child = &next.startup;
    if (!next.readable && spork__record_read(served.bytes, served.size, child) != SPORK_OK) refuse(served.ack);
    if (served.handle_count != child->handle_count + child->pass_count) {
        spork__fail(SPORK_BAD_MESSAGE, "the fork server got %zu handles for a record with %zu", served.handle_count,
                    child->handle_count + child->pass_count);
        refuse(served.ack);
    }
    child->handles = served.handles;
    run_child(child, next.address, served.ack, &served, control);
}

static void run_server(void *bytes, spork__startup *startup, spork_native ack)
{
    int64_t keep[] = {startup->handles[SPORK__GIVEN_LIFELINE], startup->handles[SPORK__GIVEN_OBJECTS],
                      startup->handles[SPORK__GIVEN_TREE], ack};
    set_inheritance(startup, ack);
    spork__adopt adopt = {.reset_signals = true,
                          .ignored = startup->ignored,
                          .close_others = true,
                          .keep = keep,
                          .keep_count = 4,
                          .lifeline = SPORK__NO_HANDLE};
    if (spork__os_adopt(&adopt) != SPORK_OK || spork__os_remember_program(NULL) != SPORK_OK ||
        spork__tree_map((spork_native)startup->handles[SPORK__GIVEN_TREE]) != SPORK_OK)
        refuse(ack);
    serve(bytes, startup, ack);
}

void spork__bootstrap_nursery(void *record, size_t size, spork_native ack)
{
    static spork__startup startup;
    static spork_args none;
    spork__adopt adopt = {.reset_signals = true, .lifeline = SPORK__NO_HANDLE};
    spork__os_drop_unwritten();
    if (spork__record_read(record, size, &startup) != SPORK_OK || spork__os_adopt(&adopt) != SPORK_OK ||
        spork__objects_after_fork(&none, NULL) != SPORK_OK)
        refuse(ack);
    serve(record, &startup, ack);
}

static void run_bootstrap(spork__block *block, spork_native ack, uint64_t nonce)
{
    static spork__startup startup; /* the names in it live as long as the process */
    if (spork__record_read(block->data, block->size, &startup) != SPORK_OK) refuse(ack);
    if (startup.nonce != nonce) {
        spork__fail(SPORK_BAD_MESSAGE, "the bootstrap record belongs to another child");
        refuse(ack);
    }
    spork__os_block_close_handle(block); /* the memory stays: arguments are read in place */
    if (startup.is_server)
        run_server(block->data, &startup, ack);
    else
        run_child(&startup, 0, ack, NULL, NULL);
}

spork_status spork__init(int argc, char **argv, int header_version)
{
    spork__block block;
    spork_native ack;
    uint64_t nonce;
    if (atomic_load_explicit(&initialised, memory_order_acquire)) return SPORK_OK;
    if (!spork__version_fits(header_version, SPORK_VERSION_NUMBER))
        return spork__fail(SPORK_UNSUPPORTED,
                           "spork_init: the program was compiled for version %d.%d of Spork, and the library is %s: compile it anew, or "
                           "install the version that it wants",
                           header_version / 10000, header_version / 100 % 100, spork_version());
    spork__kinds_add();
    spork_status status = spork__os_at_fork(spork__process_forget_all);
    if (status != SPORK_OK) return spork__fail_in(status, "spork_init");
    spork__tree_watch_forks();
    status = spork__os_bootstrap(&block, &ack, &nonce);
    if (status == SPORK_OK) run_bootstrap(&block, ack, nonce); /* does not return */
    spork__thread_is_main();
    if (status == SPORK_NOT_FOUND) spork__os_note_ignored();
    if (status == SPORK_NOT_FOUND) status = spork__os_remember_program(argc > 0 && argv != NULL ? argv[0] : NULL);
    if (status != SPORK_OK) return spork__fail_in(status, "spork_init");
    atomic_store_explicit(&initialised, true, memory_order_release);
    return SPORK_OK;
}
