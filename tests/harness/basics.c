#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basics.h"
#include "log.h"

static basics_sight look(void)
{
    basics_sight sight = {spork_getpid(), basics_system_pid(), spork_getppid(), 0, spork_time()};
    return sight;
}

int basics_look(const spork_args *args)
{
    harness_end *writer;
    if (spork_unpack(args, harness_take(&writer)) != SPORK_OK) return 1;
    basics_sight sight = look();
    return harness_write(writer, &sight, sizeof sight) ? 0 : 2;
}

void basics_log_all(void)
{
    spork__log(SPORK_LOG_ERROR, "an error");
    spork__log(SPORK_LOG_WARNING, "a warning");
    spork__log(SPORK_LOG_INFO, "an info");
    spork__log(SPORK_LOG_DEBUG, "a debug");
}

int basics_log(const spork_args *args)
{
    (void)args;
    basics_log_all();
    return 0;
}

int basics_lines;

void basics_count_lines(spork_log_level level, const char *process, int pid, const char *text, void *user)
{
    (void)level, (void)text;
    if (strcmp(process, user) == 0 && pid == spork_getpid()) basics_lines++;
}

int basics_log_counted(const spork_args *args)
{
    (void)args;
    basics_log_all();
    return basics_lines;
}

int basics_nothing(const spork_args *args)
{
    (void)args;
    return 0;
}

/* ---- one CPU ---- */

static bool bind_to_one_cpu(void)
{
#if defined(_WIN32)
    DWORD_PTR process, machine;
    if (!GetProcessAffinityMask(GetCurrentProcess(), &process, &machine)) return false;
    return SetProcessAffinityMask(GetCurrentProcess(), process & (~process + 1)) != 0; /* its lowest bit */
#elif defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return false;
    size_t first = 0;
    while (!CPU_ISSET(first, &set)) first++;
    CPU_ZERO(&set);
    CPU_SET(first, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
#else
    return false;
#endif
}

int basics_use_one_cpu(const spork_args *args)
{
    (void)args;
    return bind_to_one_cpu() ? spork_cpu_count() : 200;
}

int basics_explain_one_cpu(const spork_args *args)
{
    char why[512];
    (void)args;
    if (!bind_to_one_cpu()) return 200;
    return spork_cpu_count_why(why, sizeof why) == 1 && strstr(why, "1 CPU:") == why &&
                   strstr(why, "the affinity mask allows 1") != NULL
               ? 0
               : 1;
}

/* ---- this process ---- */

bool basics_like(const char *text, const char *pattern)
{
    for (char piece[256];; pattern++) {
        size_t length = strcspn(pattern, "*");
        if (length >= sizeof piece) return false;
        memcpy(piece, pattern, length);
        piece[length] = 0;
        const char *at = strstr(text, piece);
        if (at == NULL) return false;
        text = at + length;
        pattern += length;
        if (*pattern == 0) return true;
    }
}

const char *basics_status_name(int number) { return spork_status_name((spork_status)number); }
spork_status basics_wrong_method(int number) { return spork_set_start_method((spork_start_method)number); }

void basics_setenv(const char *name, const char *value)
{
#ifdef _WIN32
    SetEnvironmentVariableA(name, value);
    _putenv_s(name, value != NULL ? value : "");
#else
    if (value != NULL) setenv(name, value, 1);
    else unsetenv(name);
#endif
}

#ifdef _WIN32

int basics_system_pid(void) { return (int)GetCurrentProcessId(); }
int basics_system_parent(void) { return 0; }

double basics_sleep_among_signals(int ms)
{
    double begin = spork_time();
    spork_sleep(ms);
    return spork_time() - begin;
}

int basics_fork_and_look(harness_end *writer)
{
    (void)writer;
    return spork_fork();
}

int basics_system_fork_and_look(harness_end *writer)
{
    (void)writer;
    return -1;
}

int basics_fork_and_join(spork_process *process)
{
    (void)process;
    return -1;
}

int basics_fork_and_start(int code)
{
    (void)code;
    return -1;
}

#else

int basics_system_pid(void) { return (int)getpid(); }
int basics_system_parent(void) { return (int)getppid(); }

static void on_alarm(int number) { (void)number; }

double basics_sleep_among_signals(int ms)
{
    struct sigaction action = {.sa_handler = on_alarm}, before; /* without SA_RESTART */
    struct itimerval every = {{0, 5000}, {0, 5000}}, off = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &every, NULL);
    double begin = spork_time();
    spork_sleep(ms);
    double took = spork_time() - begin;
    setitimer(ITIMER_REAL, &off, NULL);
    sigaction(SIGALRM, &before, NULL);
    return took;
}

static int end_of(int pid)
{
    int status = 0;
    if (pid < 0) return -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int look_and_end(int pid, harness_end *writer)
{
    if (pid != 0) return end_of(pid);
    basics_sight sight = look();
    _exit(harness_write(writer, &sight, sizeof sight) ? 0 : 1);
}

int basics_fork_and_look(harness_end *writer) { return look_and_end(spork_fork(), writer); }
int basics_system_fork_and_look(harness_end *writer) { return look_and_end((int)fork(), writer); }

int basics_fork_and_join(spork_process *process)
{
    int pid = spork_fork();
    if (pid == 0) _exit((int)spork_process_join(process, 0));
    return end_of(pid);
}

static int give_back(const spork_args *args)
{
    int code = 0;
    return spork_unpack(args, &code) == SPORK_OK ? code : 1;
}

int basics_fork_and_start(int code)
{
    int pid = spork_fork();
    if (pid == 0) {
        spork_process *p = spork_process_new(give_back, spork_pack(code));
        if (spork_process_start(p) != SPORK_OK || spork_process_join(p, harness_patience_ms()) != SPORK_OK) _exit(254);
        _exit(spork_process_exitcode(p));
    }
    return end_of(pid);
}

#endif

spork_status harness_set_start_method(int number) { return spork_set_start_method((spork_start_method)number); }
