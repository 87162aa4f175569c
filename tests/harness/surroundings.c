#ifndef _WIN32
#define _GNU_SOURCE
#endif
#include "surroundings.h"

#include "deny.h"

#ifdef _WIN32

int surroundings_scenario_ignored(const char *argument) { return argument == NULL; }
int surroundings_scenario_exit(const char *how) { return how == NULL; }
int surroundings_scenario_daemon(const char *argument) { return argument == NULL; }
int surroundings_scenario_exec(const char *argument) { return argument == NULL; }
int surroundings_scenario_streams(const char *argument) { return argument == NULL; }
int surroundings_scenario_deny(const char *argument) { return argument == NULL; }
int surroundings_scenario_list(const char *number) { return number == NULL; }
int surroundings_scenario_read(const char *number) { return number == NULL; }
int surroundings_read_after_exec(const spork_args *args) { return args == NULL; }
int surroundings_list_after_exec(const spork_args *args) { return args == NULL; }
int surroundings_write(const spork_args *args) { return args == NULL; }

#else

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int run(spork_target target, spork_args args)
{
    spork_process *p = spork_process_new(target, args);
    SPORK_MUST(spork_process_start(p));
    SPORK_MUST(spork_process_join(p, harness_patience_ms()));
    int code = spork_process_exitcode(p);
    spork_process_free(p);
    return code;
}

/* ---- signals ---- */

static void handler(int number) { (void)number; }

static bool is_ignored(int number)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

/* depth. */
static int find_ignored(const spork_args *args)
{
    int depth;
    if (spork_unpack(args, &depth) != SPORK_OK) return 1;
    for (int number = 1; number < 32; number++) {
        bool should =
            number == SIGHUP || number == SIGINT || number == SIGQUIT || number == SIGPIPE;
        if (is_ignored(number) == should) continue;
        fprintf(stderr, "at depth %d signal %d is%s ignored\n", depth, number,
                should ? " not" : "");
        return 2;
    }
    return depth == 0 ? 0 : run(find_ignored, spork_pack(depth - 1));
}

int surroundings_scenario_ignored(const char *argument)
{
    (void)argument;
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_IGN); /* by which Spork ends processes */
    SPORK_MUST(spork_init(0, NULL));
    signal(SIGHUP, handler);
    signal(SIGUSR1, SIG_IGN); /* its own affair */
    return run(find_ignored, spork_pack(1));
}

/* Writes a byte: it cannot be asked to end from now on. */
static int stay(const spork_args *args)
{
    int number;
    if (spork_unpack(args, &number) != SPORK_OK) return 1;
    signal(SIGTERM, SIG_IGN);
    if (write(number, "x", 1) != 1) return 2;
    spork_sleep(SPORK_FOREVER);
    return 4;
}

int surroundings_scenario_daemon(const char *argument)
{
    int ends[2];
    char byte;
    (void)argument;
    SPORK_MUST(spork_init(0, NULL));
    if (!harness_pipe_made(ends)) return 1;
    spork_native passed[] = {ends[1]};
    spork_process_options o = {.target = stay,
                               .args = spork_pack(ends[1]),
                               .daemon = true,
                               .pass_fds = passed,
                               .pass_fds_count = 1};
    SPORK_MUST(spork_process_start(spork_process_new_with(&o)));
    return read(ends[0], &byte, 1) == 1 ? 0 : 2;
}

/* ---- ends ---- */

static int end_by_exit(const spork_args *args)
{
    (void)args;
    exit(3);
}

static int end_by_must(const spork_args *args)
{
    const char *text;
    SPORK_MUST(spork_unpack(args, &text)); /* an int was packed */
    return 0;
}

static void exit_again(void *unused)
{
    (void)unused;
    exit(3);
}

static int end_by_exit_twice(const spork_args *args)
{
    (void)args;
    spork_at_child_exit(exit_again, NULL);
    exit(3);
}

static void say_handler(void) { printf("handler\n"); }

static int next_line(void)
{
    char line[64];
    return fgets(line, sizeof line, stdin) != NULL ? atoi(line) : -1;
}

int surroundings_scenario_exit(const char *how)
{
    enum { LINES = 5000 };
    bool must = strcmp(how, "must") == 0, twice = strcmp(how, "twice") == 0;
    spork_target target = must ? end_by_must : twice ? end_by_exit_twice : end_by_exit;
    const char *folder = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    char input[500], output[500];
    snprintf(input, sizeof input, "%s/spork-test-XXXXXX", folder);
    memcpy(output, input, sizeof output);
    int in = mkstemp(input), out = mkstemp(output), seen = 0;
    if (in < 0 || out < 0) {
        printf("no file can be made in %s\n", folder);
        return 2;
    }
    FILE *list = fdopen(out, "r+");
    for (int i = 1; i <= LINES; i++) dprintf(in, "%d\n", i);
    SPORK_MUST(spork_init(0, NULL));
    atexit(say_handler);
    if (list == NULL || freopen(input, "r", stdin) == NULL) return 2;
    fprintf(list, "once\n");
    for (int expected = 1; expected <= LINES; expected++) {
        if (next_line() != expected) break;
        seen++;
        if (expected % 1000 == 1 && run(target, spork_pack(1)) != (must ? 70 : 3)) return 3;
    }
    fflush(list);
    long written = (long)lseek(out, 0, SEEK_END);
    unlink(input);
    unlink(output);
    printf("%d lines read, %ld bytes written\n", seen, written);
    return seen == LINES && written == 5 ? 0 : 1;
}

/* ---- exec ---- */

static int become(const char *scenario, int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    execl(harness_self(), harness_self(), "--scenario", scenario, text, (char *)NULL);
    return 127;
}

int surroundings_read_after_exec(const spork_args *args)
{
    int number;
    if (spork_unpack(args, &number) != SPORK_OK) return 1;
    return become("surroundings-read", number);
}

int surroundings_list_after_exec(const spork_args *args)
{
    int number;
    if (spork_unpack(args, &number) != SPORK_OK) return 1;
    return become("surroundings-list", number);
}

int surroundings_scenario_read(const char *number)
{
    char text[6] = "";
    return read(atoi(number), text, 6) == 6 && memcmp(text, "hello\n", 6) == 0 ? 0 : 1;
}

/* What is open at 0, 1 and 2: of one of them the pipe's end that is passed on as the first, a dot for
 * others, a dash for none. */
static int tell_streams(const spork_args *args)
{
    struct stat pipe, about;
    char text[] = "...";
    int known;
    if (spork_unpack(args, &known) != SPORK_OK || fstat(known, &pipe) != 0) return 1;
    for (int fd = 0; fd < 3; fd++) {
        if (fstat(fd, &about) != 0)
            text[fd] = '-';
        else if (about.st_ino == pipe.st_ino && about.st_dev == pipe.st_dev)
            text[fd] = 'p';
    }
    return write(known, text, 3) != 3;
}

static int start_telling(int known)
{
    spork_native passed[] = {known};
    spork_process_options o = {
        .target = tell_streams, .args = spork_pack(known), .pass_fds = passed, .pass_fds_count = 1};
    spork_process *p = spork_process_new_with(&o);
    SPORK_MUST(spork_process_start(p));
    SPORK_MUST(spork_process_join(p, harness_patience_ms()));
    int code = spork_process_exitcode(p);
    spork_process_free(p);
    return code;
}

/* As its input it has a pipe, then another one, then none. What began with the first, as a fork server
 * does, does not keep that open. */
int surroundings_scenario_streams(const char *argument)
{
    int first[2], second[2];
    char told[10] = "";
    (void)argument;
    SPORK_MUST(spork_init(0, NULL));
    if (!harness_pipe_made(first) || !harness_pipe_made(second)) return 1;
    dup2(first[1], 0);
    if (start_telling(first[1]) != 0 || read(first[0], told, 3) != 3) return 2;
    close(0);
    close(first[1]);
    struct pollfd end = {.fd = first[0], .events = POLLIN};
    if (poll(&end, 1, harness_patience_ms()) != 1 || (end.revents & POLLHUP) == 0) return 3;
    dup2(second[1], 0);
    if (start_telling(second[1]) != 0) return 4;
    close(0);
    if (start_telling(second[1]) != 0 || read(second[0], told + 3, 6) != 6) return 5;
    printf("%s\n", told);
    return 0;
}

int surroundings_scenario_list(const char *number)
{
    int list[1000], all = harness_descriptors(list, 1000), to = atoi(number), count = 0;
    for (int i = 0; i < all && i < 1000; i++) count += list[i] > 2 && list[i] != to;
    return dprintf(to, "%d", count) > 0 ? 0 : 1;
}

int surroundings_write(const spork_args *args)
{
    int number;
    return spork_unpack(args, &number) != SPORK_OK || write(number, "x", 1) != 1;
}

static int become_another(const spork_args *args)
{
    (void)args;
    printf("%d\n", (int)getpid());
    fflush(stdout);
    execl("/bin/sleep", "sleep", "1000000", (char *)NULL);
    return 127;
}

int surroundings_scenario_exec(const char *argument)
{
    (void)argument;
    SPORK_MUST(spork_init(0, NULL));
    return run(become_another, SPORK_NO_ARGS);
}

/* ---- system calls that are refused ---- */

/* queue, connection: says the same in both ways. */
static int say_twice(const spork_args *args)
{
    spork_queue *queue;
    spork_connection *connection;
    SPORK_MUST(spork_unpack(args, &queue, &connection));
    SPORK_MUST(spork_queue_put(queue, spork_pack("text", 41), harness_patience_ms()));
    SPORK_MUST(spork_connection_send(connection, spork_pack("text", 41), harness_patience_ms()));
    return 7;
}

static bool is_right(spork_args *message)
{
    const char *text;
    int number;
    bool right = spork_unpack(message, &text, &number) == SPORK_OK && strcmp(text, "text") == 0 &&
                 number == 41;
    spork_args_free(message);
    return right;
}

static int sleep_for_ever(const spork_args *args)
{
    (void)args;
    spork_sleep(SPORK_FOREVER);
    return 0;
}

static bool kills(void)
{
    spork_process *p = spork_process_new(sleep_for_ever, SPORK_NO_ARGS);
    SPORK_MUST(spork_process_start(p));
    SPORK_MUST(spork_process_kill(p));
    SPORK_MUST(spork_process_join(p, harness_patience_ms()));
    bool killed = spork_process_exitcode(p) == -SIGKILL;
    spork_process_free(p);
    return killed;
}

/* Waiting by a handle, and by the queue itself. */
static bool both_come(spork_queue *queue, spork_connection *reader)
{
    spork_wait_item items[] = {spork_on(queue)};
    spork_args *message = NULL;
    SPORK_MUST(spork_wait(items, 1, harness_patience_ms()));
    SPORK_MUST(spork_queue_get(queue, &message, harness_patience_ms()));
    if (!is_right(message)) return false;
    SPORK_MUST(spork_connection_recv(reader, &message, harness_patience_ms()));
    return is_right(message);
}

int surroundings_work(void)
{
    spork_connection *reader, *writer;
    spork_queue *queue = spork_queue_new(0, 64 << 20);
    SPORK_MUST(spork_pipe(&reader, &writer));
    spork_process *p = spork_process_new(say_twice, spork_pack(queue, spork_move(writer)));
    SPORK_MUST(spork_process_start(p));
    if (!both_come(queue, reader)) return 1;
    SPORK_MUST(spork_process_join(p, harness_patience_ms()));
    if (spork_process_exitcode(p) != 7) return 2;
    spork_process_free(p);
    spork_queue_free(queue);
    spork_connection_free(reader);
    return kills() ? 0 : 3;
}

int surroundings_scenario_deny(const char *argument)
{
    SPORK_MUST(spork_init(0, NULL));
    return harness_deny(argument) ? surroundings_work() : 77;
}

#endif
