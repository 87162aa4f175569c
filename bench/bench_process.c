/* Starting and joining an empty process, beside what the system itself takes for that: all from new to free. */
#define _GNU_SOURCE
#include "harness.h"

#include <stdio.h>
#include <string.h>

#include <spork/spork.h>

/* Options of this program's own helpers. */
#define RETURN_AT_ONCE "--return-at-once"
#define HELP_SMALL "--help-small"
#define HELP_LARGE "--help-large"

static int nothing(const spork_args *args)
{
    (void)args;
    return 0;
}

static double start_and_join(spork_start_method method)
{
    spork_process_options options = {.target = nothing, .method = method};
    double begin = spork_time();
    spork_process *p = spork_process_new_with(&options);
    SPORK_MUST(spork_process_start(p));
    SPORK_MUST(spork_process_join(p, SPORK_FOREVER));
    int code = spork_process_exitcode(p);
    spork_process_free(p);
    double us = bench_since_us(begin);
    if (code == 0) return us;
    fprintf(stderr, "an empty process ended with exit code %d\n", code);
    exit(1);
}

static double spawn_once(void) { return start_and_join(SPORK_SPAWN); }
static double spawn_plainly(void);
static double measure_spawn(void) { return bench_burst(spawn_once); }
static double measure_raw_spawn(void) { return bench_burst(spawn_plainly); }
static bench_case by_spawn = {.name = "spawn", .unit = "us", .measure = measure_spawn};

#ifdef _WIN32

#include <wchar.h>
#include <windows.h>

static bench_case raw_spawn = {.name = "CreateProcess", .unit = "us", .measure = measure_raw_spawn};
static wchar_t command[MAX_PATH + 64];

static void prepare(const char *argv0)
{
    wchar_t file[MAX_PATH];
    (void)argv0;
    if (GetModuleFileNameW(NULL, file, MAX_PATH) == 0) exit(1);
    wcscpy(command, L"\"");
    wcscat(command, file);
    wcscat(command, L"\" " RETURN_AT_ONCE);
}

static double spawn_plainly(void)
{
    STARTUPINFOW startup = {.cb = sizeof startup};
    PROCESS_INFORMATION process;
    wchar_t line[sizeof command / sizeof *command]; /* CreateProcessW writes into it */
    double begin = spork_time();
    memcpy(line, command, sizeof line);
    if (!CreateProcessW(NULL, line, NULL, NULL, FALSE, 0, NULL, NULL, &startup, &process)) {
        fprintf(stderr, "CreateProcess: error %lu\n", GetLastError());
        exit(1);
    }
    WaitForSingleObject(process.hProcess, INFINITE);
    CloseHandle(process.hThread);
    CloseHandle(process.hProcess);
    return bench_since_us(begin);
}

static int help_small(void) { return 0; }
static int help_large(void) { return 0; }
static void fork_rows(void) {}
static void forkserver_rows(void) {}
static void large_parent_rows(void) {}
static void peer_rows(void) {}

#else

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#if defined(__linux__) && defined(SYS_pidfd_open)
#define CAN_FORK_LIKE_SPORK 1
#else
#define CAN_FORK_LIKE_SPORK 0
#endif

extern char **environ;

static double fork_once(void) { return start_and_join(SPORK_FORK); }
static double forkserver_once(void) { return start_and_join(SPORK_FORKSERVER); }
static double measure_fork(void) { return bench_burst(fork_once); }
static double measure_forkserver(void) { return bench_burst(forkserver_once); }

static bench_case by_fork = {.name = "fork", .unit = "us", .measure = measure_fork};
static bench_case by_forkserver = {.name = "forkserver", .unit = "us", .measure = measure_forkserver};
static bench_case raw_spawn = {.name = "raw posix_spawn", .unit = "us", .measure = measure_raw_spawn};

/* ---- raw forks ---- */

static void expect_success(int status)
{
    if (status == 0) return;
    fprintf(stderr, "a raw process ended with status 0x%x\n", (unsigned)status);
    exit(1);
}

static void wait_for(pid_t pid)
{
    int status;
    if (pid < 0) bench_fail("a raw process");
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) bench_fail("waitpid");
    expect_success(status);
}

static double fork_plainly(void)
{
    double begin = spork_time();
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    wait_for(pid);
    return bench_since_us(begin);
}

#if CAN_FORK_LIKE_SPORK

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int lifeline[2];
static char lifeline_path[40];

/* As Spork's child ties itself to its parent's life and resets its signals. */
static _Noreturn void child_like_spork(int own)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;
    close(lifeline[1]);
    close(lifeline[0]);
    struct pollfd p = {.fd = own, .events = POLLIN};
    if (fcntl(own, F_SETSIG, SIGKILL) != 0 || fcntl(own, F_SETOWN, getpid()) != 0 ||
        fcntl(own, F_SETFL, O_ASYNC | O_NONBLOCK) != 0 || poll(&p, 1, 0) != 0)
        _exit(1);
    for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    (void)getpid();
    _exit(0);
}

/* The system calls of Spork's fork, as strace shows them, and nothing besides. */
static double fork_like_spork(void)
{
    sigset_t all, before;
    siginfo_t info;
    struct rusage used;
    double begin = spork_time();
    for (int i = 0; i < 4; i++) (void)getpid();
    int own = open(lifeline_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) child_like_spork(own);
    if (pid < 0 || own < 0) bench_fail("fork");
    struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    close(own);
    sigprocmask(SIG_SETMASK, &before, NULL);
    (void)getpid();
    if (p.fd < 0 || poll(&p, 1, -1) != 1) bench_fail("pidfd");
    memset(&info, 0, sizeof info);
    if (syscall(SYS_waitid, P_PIDFD, p.fd, &info, WEXITED | WNOHANG, &used) != 0) bench_fail("waitid");
    (void)getpid();
    close(p.fd);
    double us = bench_since_us(begin);
    expect_success(info.si_status);
    return us;
}

#endif

/* ---- helpers ----
 *
 * This program anew, which over its stdin, a socket, is told what to start, and answers with the time that took. The
 * small one has not called spork_init, so that its forks do not run what Spork registers with pthread_atfork. The large
 * one has touched much memory. */

enum { SMALL_MIB = 5, LARGE_MIB = 2048 };

typedef struct helper {
    pid_t pid;
    int socket;
} helper;

static helper small, large;

typedef enum wish {
    FORKS = 'p',
    FORKS_LIKE_SPORK = 'l',
    FORKSERVER = 's',
    ONE_FORK = 'o', /* of a large parent: slow enough to be looked at alone */
    ONE_SPORK_FORK = 'f',
} wish;

static double fulfil(char which)
{
    switch (which) {
    case FORKS: return bench_burst(fork_plainly);
#if CAN_FORK_LIKE_SPORK
    case FORKS_LIKE_SPORK: return bench_burst(fork_like_spork);
#endif
    case FORKSERVER: return measure_forkserver();
    case ONE_SPORK_FORK: return fork_once();
    default: return fork_plainly();
    }
}

static int serve(void)
{
    char which;
    while (read(STDIN_FILENO, &which, 1) == 1) {
        double us = fulfil(which);
        if (write(STDIN_FILENO, &us, sizeof us) != (ssize_t)sizeof us) return 1;
    }
    return 0;
}

static int help_small(void)
{
#if CAN_FORK_LIKE_SPORK
    if (pipe2(lifeline, O_CLOEXEC) != 0) bench_fail("pipe2");
    snprintf(lifeline_path, sizeof lifeline_path, "/proc/self/fd/%d", lifeline[0]);
#endif
    return serve();
}

/* Memory that was written to, in pages of the usual size: what a fork has to copy the tables of. */
static void touch(size_t mib)
{
    void *data = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (data == MAP_FAILED) bench_fail("memory");
#ifdef MADV_NOHUGEPAGE
    madvise(data, mib << 20, MADV_NOHUGEPAGE);
#endif
    memset(data, 1, mib << 20);
}

static int help_large(void)
{
    touch(LARGE_MIB);
    return serve();
}

static double ask(helper h, wish what)
{
    char which = (char)what;
    double us;
    if (write(h.socket, &which, 1) != 1 || read(h.socket, &us, sizeof us) != (ssize_t)sizeof us) bench_fail("a helper");
    return us;
}

static char program[4096];

/* Returns its pid. */
static pid_t run_self(const char *with, posix_spawn_file_actions_t *actions)
{
    char option[32], *argv[] = {program, option, NULL};
    pid_t pid;
    snprintf(option, sizeof option, "%s", with);
    if ((errno = posix_spawn(&pid, program, actions, NULL, argv, environ)) != 0) bench_fail("posix_spawn");
    return pid;
}

static helper start_helper(const char *option)
{
    helper h;
    posix_spawn_file_actions_t actions;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) bench_fail("socketpair");
    for (int i = 0; i < 2; i++) fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
    h.pid = run_self(option, &actions);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    h.socket = ends[0];
    return h;
}

static void stop_helper(helper h)
{
    close(h.socket);
    wait_for(h.pid);
}

static void prepare(const char *argv0)
{
#ifdef __linux__
    argv0 = "/proc/self/exe";
#endif
    snprintf(program, sizeof program, "%s", argv0);
    small = start_helper(HELP_SMALL);
}

/* ---- fork, spawn, forkserver ---- */

static double measure_raw_fork(void) { return ask(small, FORKS); }
static double measure_raw_fork_like_spork(void) { return ask(small, FORKS_LIKE_SPORK); }

static bench_case raw_fork = {.name = "raw fork", .unit = "us", .measure = measure_raw_fork};
static bench_case raw_fork_like_spork = {
    .name = "raw fork, Spork's system calls", .unit = "us", .measure = measure_raw_fork_like_spork};

static void fork_rows(void)
{
    bench_case *cases[] = {&by_fork, &raw_fork, &raw_fork_like_spork};
    size_t count = CAN_FORK_LIKE_SPORK ? 3 : 2;
    bench_run(cases, count, bench_rounds(1));
    bench_show(cases, count);
    bench_at_most("process fork", &by_fork, &raw_fork, 1.5);
    bench_at_most("process fork, same system calls", &by_fork, &raw_fork_like_spork, 1.2);
}

static double spawn_plainly(void)
{
    double begin = spork_time();
    wait_for(run_self(RETURN_AT_ONCE, NULL));
    return bench_since_us(begin);
}

static void forkserver_rows(void)
{
    static bench_case raw = {.name = "raw fork, beside that", .unit = "us", .measure = measure_raw_fork};
    bench_case *cases[] = {&by_forkserver, &raw};
    bench_run(cases, 2, bench_rounds(1));
    bench_show(cases, 2);
    bench_at_most("process forkserver", &by_forkserver, &raw, 2.5);
}

/* ---- large parents ---- */

static double measure_large_forkserver(void) { return ask(large, FORKSERVER); }
static double measure_large_fork(void) { return ask(large, ONE_SPORK_FORK); }
static double measure_large_raw_fork(void) { return ask(large, ONE_FORK); }

static void large_parent_rows(void)
{
    static bench_case server[] = {
        {.name = "forkserver, parent of 5 MiB", .unit = "us", .measure = measure_forkserver},
        {.name = "forkserver, parent of 2 GiB", .unit = "us", .measure = measure_large_forkserver},
    };
    static bench_case fork_large[] = {
        {.name = "fork, parent of 2 GiB", .unit = "us", .measure = measure_large_fork},
        {.name = "raw fork, parent of 2 GiB", .unit = "us", .measure = measure_large_raw_fork},
    };
    bench_case *servers[] = {&server[0], &server[1]}, *forks[] = {&fork_large[0], &fork_large[1]};
    if (sizeof(size_t) < 8 || sysconf(_SC_PHYS_PAGES) / 1024 * sysconf(_SC_PAGESIZE) < 2L * LARGE_MIB * 1024) {
        printf("No rows with a parent of 2 GiB: this machine, or this build, is too small for it\n");
        return;
    }
    touch(SMALL_MIB);
    large = start_helper(HELP_LARGE);
    bench_run(servers, 2, bench_rounds(1));
    bench_run(forks, 2, bench_rounds(0.1));
    stop_helper(large);
    bench_show(servers, 2);
    bench_show(forks, 2);
    bench_at_most("process forkserver, flat: 2 GiB to 5 MiB", &server[1], &server[0], 1.5);
    bench_report("process fork, parent of 2 GiB", &fork_large[0], &fork_large[1]);
    bench_report("process forkserver, parent of 2 GiB", &server[1], &fork_large[1]);
}

/* ---- Python's multiprocessing ---- */

static void peer_rows(void)
{
    static bench_case peers[] = {
        {.name = "Python fork", .unit = "us"},
        {.name = "Python forkserver", .unit = "us"},
        {.name = "Python spawn", .unit = "us"},
    };
    char line[4200], method[32], version[32] = "";
    double us;
    snprintf(line, sizeof line, "command -v python3 >/dev/null && exec python3 '%s/peer_process.py' %d", BENCH_DIR,
             bench_rounds(0.1));
    FILE *f = popen(line, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "version %31[0-9.]", version) == 1 || sscanf(line, "%31s %lf", method, &us) != 2) continue;
        for (size_t i = 0; i < 3; i++)
            if (strcmp(method, peers[i].name + strlen("Python ")) == 0) bench_add(&peers[i], us);
    }
    if (f == NULL || pclose(f) != 0 || version[0] == 0) {
        printf("No rows beside Python: there is no python3 that runs peer_process.py\n");
        return;
    }
    printf("Python %s: fork %.1f, forkserver %.1f, spawn %.1f us\n", version,
           peers[0].figures.median, peers[1].figures.median, peers[2].figures.median);
    bench_report("process fork beside Python", &by_fork, &peers[0]);
    bench_report("process forkserver beside Python", &by_forkserver, &peers[1]);
    bench_report("process spawn beside Python", &by_spawn, &peers[2]);
}

#endif

static void spawn_rows(void)
{
    bench_case *cases[] = {&by_spawn, &raw_spawn};
    bench_run(cases, 2, bench_rounds(0.34));
    bench_show(cases, 2);
    bench_at_most("process spawn", &by_spawn, &raw_spawn, 1.2);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], RETURN_AT_ONCE) == 0) return 0;
    if (argc == 2 && strcmp(argv[1], HELP_SMALL) == 0) return help_small();
    SPORK_MUST(spork_init(argc, argv));
    if (argc == 2 && strcmp(argv[1], HELP_LARGE) == 0) return help_large();
    bench_begin(argc, argv, "Processes");
    prepare(argv[0]);
    fork_rows();
    spawn_rows();
    forkserver_rows();
    large_parent_rows();
    peer_rows();
    return bench_end();
}
