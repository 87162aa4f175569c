/* Programs of their own that tests run and kill: `--scenario NAME ARGUMENT`. */
#ifndef _WIN32
#define _GNU_SOURCE
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <unistd.h>
#endif

#include "endings.h"
#include "harness.h"
#include "places.h"
#include "pools.h"
#include "security.h"
#include "shms.h"
#include "surroundings.h"
#include "targets.h"
#include "threads.h"

int harness_scenario_base(const char *name, const char *argument, int *code); /* scenarios_base.c */

typedef struct scenario {
    const char *name;
    int (*run)(const char *argument);
} scenario;

/* Starts it and lets go. */
static void start_and_forget(spork_process *p)
{
    SPORK_MUST(spork_process_start(p));
    spork_process_free(p);
}

/* ---- targets of these programs only ---- */

static int say(const spork_args *args)
{
    const char *text;
    int ms;
    if (spork_unpack(args, &ms, &text) != SPORK_OK) return 1;
    spork_sleep(ms);
    printf("%s\n", text);
    return 0;
}

static void print_pid(const char *what)
{
    printf("%s %d\n", what, spork_getpid());
    fflush(stdout);
}

/* Prints its pid, starts `count` leaves, and stays. */
static int branch(const spork_args *args)
{
    int count;
    if (spork_unpack(args, &count) != SPORK_OK) return 1;
    print_pid("pid");
    for (int i = 0; i < count; i++) start_and_forget(spork_process_new(branch, spork_pack(0)));
    spork_sleep(SPORK_FOREVER);
    return 0;
}

static int outlive(const spork_args *args)
{
    (void)args;
    print_pid("outlives");
    spork_sleep(4 * harness_patience_ms()); /* the test kills it */
    return 0;
}

static int deaf(const spork_args *args)
{
    (void)args;
#ifndef _WIN32
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
#endif
    print_pid("pid");
    for (volatile int i = 0; i >= 0;) {}
    return 0;
}

/* ---- programs ---- */

static int no_init(const char *argument)
{
    (void)argument;
    printf("main runs\n");
    spork_process *p = spork_process_new(target_return, spork_pack(0));
    spork_status status = spork_process_start(p);
    spork_process_free(p);
    printf("%s %s\n", spork_status_name(status), spork_error());
    return 0;
}

static int lines(const char *argument)
{
    spork_process *writers[8];
    SPORK_MUST(spork_init(0, NULL));
    for (int i = 0; i < 8; i++) {
        writers[i] = spork_process_new(target_lines, spork_pack(i, (int)strtol(argument, NULL, 10)));
        SPORK_MUST(spork_process_start(writers[i]));
    }
    for (int i = 0; i < 8; i++) {
        SPORK_MUST(spork_process_join(writers[i], SPORK_FOREVER));
        if (spork_process_exitcode(writers[i]) != 0) return 1;
        spork_process_free(writers[i]);
    }
    return 0;
}

static int unwritten(const char *argument)
{
    (void)argument;
    SPORK_MUST(spork_init(0, NULL));
    printf("begun, no newline yet; ");
    spork_process *p = spork_process_new(say, spork_pack(0, "child"));
    SPORK_MUST(spork_process_start(p));
    SPORK_MUST(spork_process_join(p, SPORK_FOREVER));
    spork_process_free(p);
    printf("; parent\n");
    return 0;
}

static int at_exit(bool daemon, int ms)
{
    spork_process_options o = {.target = say, .daemon = daemon};
    SPORK_MUST(spork_init(0, NULL));
    o.args = spork_pack(ms, "child ends");
    start_and_forget(spork_process_new_with(&o));
    printf("main ends\n");
    return 0;
}
static int join_at_exit(const char *argument) { return at_exit(argument == NULL, 1500); }
static int daemon_at_exit(const char *argument) { return at_exit(argument != NULL, 60000); }
static int bounded_exit(const char *argument)
{
    harness_setenv("SPORK_EXIT_WAIT_MS", "200");
    return at_exit(argument == NULL, 60000);
}

static void log_to_stdout(spork_log_level level, const char *process, int pid, const char *text, void *user)
{
    (void)level, (void)process, (void)pid, (void)user;
    printf("log: %s\n", text);
    fflush(stdout);
}

/* connection: says so when its parent has given up the other end. */
static int say_when_told(const spork_args *args)
{
    spork_connection *c;
    char byte;
    SPORK_MUST(spork_unpack(args, &c));
    while (spork_connection_recv_bytes(c, &byte, 1, NULL, SPORK_FOREVER) == SPORK_OK) {}
    printf("child ends\n");
    return 0;
}

/* The end waits long enough to say for whom, since the child does not end before; `argument`: the
 * bound, or "". */
static int slow_exit(const char *argument)
{
    spork_connection *reader, *writer;
    if (argument[0] != 0) harness_setenv("SPORK_EXIT_WAIT_MS", argument);
    SPORK_MUST(spork_init(0, NULL));
    spork_set_log(SPORK_LOG_WARNING, log_to_stdout, NULL);
    SPORK_MUST(spork_pipe(&reader, &writer));
    start_and_forget(spork_process_new(say_when_told, spork_pack(spork_move(reader))));
    printf("main ends\n");
    return 0;
}

static void stay(void *barrier)
{
    char byte;
    harness_read(barrier, &byte, 1);
}

/* Starts two children while another thread runs. */
static int start_with_thread(const char *argument)
{
    harness_end *reader, *writer;
    (void)argument;
    SPORK_MUST(spork_init(0, NULL));
    spork_set_log(SPORK_LOG_WARNING, log_to_stdout, NULL);
    if (!harness_pipe(&reader, &writer)) return 1;
    harness_thread *thread = harness_thread_start(stay, reader);
    for (int i = 0; i < 2; i++) {
        spork_process *p = spork_process_new(say, spork_pack(0, "child"));
        SPORK_MUST(spork_process_start(p));
        SPORK_MUST(spork_process_join(p, SPORK_FOREVER));
        spork_process_free(p);
    }
    harness_end_free(writer);
    harness_thread_join(thread);
    harness_end_free(reader);
    return 0;
}

/* What each start method gives. */
static int start_each_way(const char *argument)
{
    static const spork_start_method methods[] = {SPORK_FORK, SPORK_SPAWN, SPORK_FORKSERVER};
    (void)argument;
    SPORK_MUST(spork_init(0, NULL));
    for (int i = 0; i < 3; i++) {
        spork_process_options o = {.target = say, .args = spork_pack(0, "child"), .method = methods[i]};
        spork_process *p = spork_process_new_with(&o);
        spork_status status = spork_process_start(p);
        if (status == SPORK_OK) spork_process_join(p, SPORK_FOREVER);
        printf("%s\n", spork_status_name(status));
        fflush(stdout);
        spork_process_free(p);
    }
    const char *host = spork_host_path(), *wish = getenv("SPORK_HOST");
    printf("%s\n", host != NULL && wish != NULL && strcmp(host, wish) == 0 ? "obeys" : "does not obey");
    return 0;
}

static int own_method(const spork_args *args)
{
    (void)args;
    return (int)spork_get_start_method();
}

/* How children start by each method would start their own; "set": the program has set the first
 * one. */
static int methods_of_children(const char *set)
{
    spork_start_method list[3];
    SPORK_MUST(spork_init(0, NULL));
    size_t count = spork_start_methods(list, 3);
    if (count == 0 || list[0] != spork_get_start_method()) return 1;
    if (strcmp(set, "set") == 0) SPORK_MUST(spork_set_start_method(list[0]));
    for (size_t i = 0; i < count; i++) {
        spork_process_options o = {.target = own_method, .method = list[i]};
        spork_process *p = spork_process_new_with(&o);
        SPORK_MUST(spork_process_start(p));
        SPORK_MUST(spork_process_join(p, SPORK_FOREVER));
        if (spork_process_exitcode(p) != (int)list[strcmp(set, "set") == 0 ? 0 : i])
            return 2 + (int)i;
        spork_process_free(p);
    }
    return 0;
}

static void start_tree(void *unused)
{
    spork_process_options o = {.target = outlive, .outlive_parent = true};
    (void)unused;
    for (int i = 0; i < 4; i++) start_and_forget(spork_process_new(branch, spork_pack(4)));
    start_and_forget(spork_process_new_with(&o)); /* last: it does not live for long */
}

static int tree(const char *argument)
{
    (void)argument;
    SPORK_MUST(spork_init(0, NULL));
    harness_thread_join(harness_thread_start(start_tree, NULL)); /* the thread is gone, its children stay */
    spork_sleep(SPORK_FOREVER);
    return 0;
}

static int deaf_child(const char *argument)
{
    (void)argument;
    SPORK_MUST(spork_init(0, NULL));
    start_and_forget(spork_process_new(deaf, SPORK_NO_ARGS));
    spork_sleep(SPORK_FOREVER);
    return 0;
}

static int loops(const char *argument)
{
    (void)argument;
    SPORK_MUST(spork_init(0, NULL));
    start_and_forget(spork_process_new(branch, spork_pack(0)));
    spork_sleep(SPORK_FOREVER);
    return 0;
}

#ifndef _WIN32
enum { LOW = 3, HIGH = 12 };

static int use_numbers(const spork_args *args)
{
    char text[8];
    (void)args;
    for (int fd = LOW; fd <= HIGH; fd++)
        if (write(fd, text, (size_t)snprintf(text, sizeof text, "%d ", fd)) < 0) return 1;
    spork_process *p = spork_process_new(say, spork_pack(0, "and the child's child"));
    SPORK_MUST(spork_process_start(p));
    SPORK_MUST(spork_process_join(p, SPORK_FOREVER));
    return spork_process_exitcode(p);
}

/* Has the low numbers before Spork can take any, and passes them on. */
static int low_numbers(const char *argument)
{
    spork_native pass[HIGH - LOW + 1];
    (void)argument;
    for (int fd = LOW; fd <= HIGH; fd++) pass[fd - LOW] = dup2(1, fd);
    SPORK_MUST(spork_init(0, NULL));
    spork_process_options o = {.target = use_numbers, .pass_fds = pass, .pass_fds_count = HIGH - LOW + 1};
    spork_process *p = spork_process_new_with(&o);
    SPORK_MUST(spork_process_start(p));
    SPORK_MUST(spork_process_join(p, SPORK_FOREVER));
    return spork_process_exitcode(p);
}
#endif

static const scenario scenarios[] = {
#ifndef _WIN32
    {"low_numbers", low_numbers},
#endif
    {"no_init", no_init},
    {"lines", lines},
    {"unwritten", unwritten},
    {"join_at_exit", join_at_exit},
    {"daemon_at_exit", daemon_at_exit},
    {"bounded_exit", bounded_exit},
    {"slow_exit", slow_exit},
    {"start_with_thread", start_with_thread},
    {"start_each_way", start_each_way},
    {"methods_of_children", methods_of_children},
    {"tree", tree},
    {"deaf", deaf_child},
    {"loops", loops},
    {"pool-open", pools_scenario_open},
    {"pool-root", pools_scenario_root},
    {"pool-no-init", pools_scenario_no_init},
    {"pool-trace", pools_scenario_trace},
    {"pool-terminal", pools_scenario_terminal},
    {"pool-exit", pools_scenario_exit},
    {"security-trace", security_scenario_trace},
    {"shm-act", shms_scenario_act},
    {"shm-small", shms_scenario_small},
    {"shm-limit", shms_scenario_limit},
    {"surroundings-ignored", surroundings_scenario_ignored},
    {"surroundings-exit", surroundings_scenario_exit},
    {"surroundings-exec", surroundings_scenario_exec},
    {"surroundings-streams", surroundings_scenario_streams},
    {"surroundings-deny", surroundings_scenario_deny},
    {"surroundings-list", surroundings_scenario_list},
    {"surroundings-read", surroundings_scenario_read},
    {"surroundings-daemon", surroundings_scenario_daemon},
    {"endings-wait", endings_scenario_wait},
    {"endings-late", endings_scenario_late},
    {"endings-daemon", endings_scenario_daemon},
    {"endings-served", endings_scenario_served},
    {"places-work", places_scenario_work},
    {"places-fail", places_scenario_fail},
    {"places-flood", places_scenario_flood},
    {"places-last", places_scenario_last},
    {"places-stay", places_scenario_stay},
    {"places-first", places_scenario_first},
    {"thread-end", threads_scenario_end},
};

int harness_scenario(const char *name, const char *argument)
{
    int code;
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        if (strcmp(scenarios[i].name, name) == 0) return scenarios[i].run(argument);
    if (harness_scenario_base(name, argument, &code)) return code;
    fprintf(stderr, "there is no scenario %s\n", name);
    return 64;
}
