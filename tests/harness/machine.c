/* This process and other programs, on both kinds of systems. */
#ifdef _WIN32
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00
#endif
#include <windows.h>

#include <fcntl.h>
#include <io.h>
#include <psapi.h>
#else
#define _GNU_SOURCE
#include <dirent.h>
#ifdef __linux__
#include <sys/ptrace.h>
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static void *volatile used_memory; /* what nobody could ever see, a compiler leaves out */

bool harness_use_memory(size_t size)
{
    void *memory = malloc(size);
    if (memory == NULL) return false;
    memset(memory, 0x5A, size);
    used_memory = memory;
    return true;
}

bool harness_until(bool (*done)(void *user), void *user)
{
    for (double end = spork_time() + harness_patience_ms() / 1000.0; spork_time() < end; spork_sleep(1))
        if (done(user)) return true;
    return done(user);
}

struct harness_program {
    int pid;
    bool ended;
    int exitcode;
    size_t used, taken; /* of the buffer; what line() gave away already */
    char buffer[1 << 16];
    char line[4096];
#ifdef _WIN32
    HANDLE process, output;
#else
    int output;
#endif
};

static long read_some(harness_program *p, int timeout_ms); /* bytes; 0: end; -1: not in time */

const char *harness_line(harness_program *p)
{
    for (double end = spork_time() + harness_patience_ms() / 1000.0;;) {
        char *begin = p->buffer + p->taken, *stop = memchr(begin, '\n', p->used - p->taken);
        if (stop != NULL) {
            size_t length = (size_t)(stop - begin);
            p->taken += length + 1;
            if (length > 0 && begin[length - 1] == '\r') length--;
            if (length >= sizeof p->line) length = sizeof p->line - 1;
            memcpy(p->line, begin, length);
            p->line[length] = 0;
            return p->line;
        }
        memmove(p->buffer, begin, p->used - p->taken);
        p->used -= p->taken;
        p->taken = 0;
        int left = (int)((end - spork_time()) * 1000);
        if (left <= 0 || p->used == sizeof p->buffer || read_some(p, left) <= 0) return NULL;
    }
}

const char *harness_output(harness_program *p)
{
    static char all[1 << 20];
    size_t used = 0;
    all[0] = 0;
    for (const char *line; (line = harness_line(p)) != NULL;) {
        int n = snprintf(all + used, sizeof all - used, "%s\n", line);
        if (n > 0 && used + (size_t)n < sizeof all) used += (size_t)n;
    }
    return all;
}

int harness_pid(harness_program *p) { return p->pid; }

harness_program *harness_run(const char *scenario, const char *argument)
{
    const char *arguments[] = {harness_self(), "--scenario", scenario, argument, NULL};
    return harness_run_program(arguments);
}

struct harness_thread {
    void (*fn)(void *user);
    void *user;
#ifdef _WIN32
    HANDLE thread;
#else
    pthread_t thread;
#endif
};

#ifdef _WIN32

static DWORD WINAPI run_thread(void *user)
{
    harness_thread *t = user;
    t->fn(t->user);
    return 0;
}

harness_thread *harness_thread_start(void (*fn)(void *user), void *user)
{
    harness_thread *t = calloc(1, sizeof *t);
    if (t == NULL) abort();
    t->fn = fn;
    t->user = user;
    t->thread = CreateThread(NULL, 0, run_thread, t, 0, NULL);
    return t;
}

void harness_thread_join(harness_thread *t)
{
    WaitForSingleObject(t->thread, INFINITE);
    CloseHandle(t->thread);
    free(t);
}

void harness_setenv(const char *name, const char *value)
{
    SetEnvironmentVariableA(name, value);
    _putenv_s(name, value != NULL ? value : "");
}

void harness_stdin(harness_end *end)
{
    int fd = _open_osfhandle(harness_end_native(end), _O_RDONLY);
    _dup2(fd, 0);
}

const char *harness_self(void)
{
    static char path[1024];
    GetModuleFileNameA(NULL, path, sizeof path);
    return path;
}

int harness_descriptors(int *list, int room)
{
    DWORD count = 0;
    (void)list, (void)room;
    GetProcessHandleCount(GetCurrentProcess(), &count);
    return (int)count;
}

spork_native harness_copy(spork_native handle)
{
    HANDLE copy = NULL, self = GetCurrentProcess();
    DuplicateHandle(self, (HANDLE)(intptr_t)handle, self, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS);
    return (intptr_t)copy;
}

int harness_mappings(void)
{
    int count = 0;
    MEMORY_BASIC_INFORMATION piece;
    for (char *at = NULL; VirtualQuery(at, &piece, sizeof piece) == sizeof piece;
         at = (char *)piece.BaseAddress + piece.RegionSize)
        count += piece.State == MEM_COMMIT && piece.Type == MEM_MAPPED;
    return count;
}

int harness_zombies(void) { return 0; }
harness_life harness_zombie(int pid, int *exitcode)
{
    (void)pid, (void)exitcode;
    return HARNESS_NOT_OURS;
}

long harness_rss_kib(void)
{
    PROCESS_MEMORY_COUNTERS memory;
    return GetProcessMemoryInfo(GetCurrentProcess(), &memory, sizeof memory) ? (long)(memory.WorkingSetSize / 1024) : 0;
}

bool harness_pid_exists(int pid)
{
    HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, (DWORD)pid);
    if (process == NULL) return false;
    bool runs = WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
    CloseHandle(process);
    return runs;
}

bool harness_pid_stopped(int pid)
{
    (void)pid;
    return false;
}

bool harness_wine(void) { return GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version") != NULL; }
bool harness_instrumented(void) { return false; }

harness_program *harness_run_program(const char *const *arguments)
{
    harness_program *p = calloc(1, sizeof *p);
    SECURITY_ATTRIBUTES inheritable = {sizeof inheritable, NULL, TRUE};
    STARTUPINFOA startup = {.cb = sizeof startup};
    PROCESS_INFORMATION made;
    char command[4096] = "";
    HANDLE write_end;
    for (int i = 0; arguments[i] != NULL; i++) {
        size_t used = strlen(command);
        snprintf(command + used, sizeof command - used, "%s\"%s\"", i > 0 ? " " : "", arguments[i]);
    }
    if (p == NULL || !CreatePipe(&p->output, &write_end, &inheritable, 0)) return NULL;
    SetHandleInformation(p->output, HANDLE_FLAG_INHERIT, 0);
    startup.dwFlags = STARTF_USESTDHANDLES;
    startup.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
    startup.hStdOutput = write_end;
    startup.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    BOOL ok = CreateProcessA(NULL, command, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &made);
    CloseHandle(write_end);
    if (!ok) return NULL;
    CloseHandle(made.hThread);
    p->process = made.hProcess;
    p->pid = (int)made.dwProcessId;
    return p;
}

static long read_some(harness_program *p, int timeout_ms)
{
    DWORD there = 0, got = 0;
    for (double end = spork_time() + timeout_ms / 1000.0; spork_time() < end; Sleep(2)) {
        if (!PeekNamedPipe(p->output, NULL, 0, NULL, &there, NULL)) return 0;
        if (there == 0) continue;
        if (!ReadFile(p->output, p->buffer + p->used, (DWORD)(sizeof p->buffer - p->used), &got, NULL)) return 0;
        p->used += got;
        return (long)got;
    }
    return -1;
}

void harness_kill(harness_program *p) { TerminateProcess(p->process, 9); }
void harness_interrupt(harness_program *p) { (void)p; }

int harness_wait(harness_program *p)
{
    DWORD code = 0;
    bool hung = WaitForSingleObject(p->process, (DWORD)harness_patience_ms()) == WAIT_TIMEOUT;
    if (hung) harness_kill(p);
    if (hung) WaitForSingleObject(p->process, INFINITE);
    GetExitCodeProcess(p->process, &code);
    return hung ? -1000 : (int)code;
}

void harness_free(harness_program *p)
{
    if (p == NULL) return;
    CloseHandle(p->process);
    CloseHandle(p->output);
    free(p);
}

#else

static void *run_thread(void *user)
{
    harness_thread *t = user;
    t->fn(t->user);
    return NULL;
}

harness_thread *harness_thread_start(void (*fn)(void *user), void *user)
{
    harness_thread *t = calloc(1, sizeof *t);
    if (t == NULL) abort();
    t->fn = fn;
    t->user = user;
    if (pthread_create(&t->thread, NULL, run_thread, t) != 0) abort();
    return t;
}

void harness_thread_join(harness_thread *t)
{
    pthread_join(t->thread, NULL);
    free(t);
}

void harness_setenv(const char *name, const char *value)
{
    if (value != NULL)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

void harness_stdin(harness_end *end) { dup2((int)harness_end_native(end), 0); }

const char *harness_self(void)
{
    static char path[1024];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    return path;
}

int harness_descriptors(int *list, int room)
{
    int count = 0;
    DIR *d = opendir("/dev/fd");
    if (d == NULL) return -1;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char *end;
        long fd = strtol(e->d_name, &end, 10);
        if (*end != 0 || end == e->d_name || fd == dirfd(d)) continue;
        if (count < room) list[count] = (int)fd;
        count++;
    }
    closedir(d);
    return count;
}

spork_native harness_copy(spork_native handle) { return fcntl((int)handle, F_DUPFD_CLOEXEC, 0); }

int harness_mappings(void)
{
    char line[512];
    int count = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    if (f == NULL) return 0;
    while (fgets(line, sizeof line, f) != NULL) count += strstr(line, "spork") && strstr(line, "(deleted)");
    fclose(f);
    return count;
}

static char state_of(long pid, long *parent)
{
    char path[64], text[512], state = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL) return 0;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    char *at = strrchr(text, ')');
    if (at == NULL || sscanf(at + 1, " %c %ld", &state, parent) != 2) return 0;
    return state;
}

int harness_zombies(void)
{
    int count = 0;
    DIR *d = opendir("/proc");
    if (d == NULL) return 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        long parent = 0, pid = strtol(e->d_name, NULL, 10);
        if (pid > 0 && state_of(pid, &parent) == 'Z' && parent == (long)getpid()) count++;
    }
    closedir(d);
    return count;
}

harness_life harness_zombie(int pid, int *exitcode)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0) return HARNESS_NOT_OURS;
    if (info.si_pid == 0) return HARNESS_RUNS;
    *exitcode = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    return HARNESS_ENDED;
}

#ifdef __linux__
static long next_child_of(long parent)
{
    long found = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        long its_parent = 0, pid = strtol(e->d_name, NULL, 10);
        if (pid > 0 && pid != (long)getpid() && state_of(pid, &its_parent) != 0 && its_parent == parent) found = pid;
    }
    if (d != NULL) closedir(d);
    return found;
}

static int trace(long parent, int ms)
{
    long child = 0, none;
    double end = spork_time() + harness_patience_ms() / 1000.0;
    while (child == 0 && spork_time() < end) child = next_child_of(parent);
    if (child == 0 || ptrace(PTRACE_SEIZE, (pid_t)child, NULL, NULL) != 0) return 1;
    while (state_of(child, &none) != 'Z' && spork_time() < end) spork_sleep(1);
    spork_sleep(ms);
    return waitpid((pid_t)child, NULL, __WALL) == child ? 0 : 2;
}

int harness_trace_next_child(int ms)
{
    long parent = (long)getpid();
    pid_t tracer = fork();
    if (tracer == 0) _exit(trace(parent, ms));
    return (int)tracer;
}
#endif

long harness_rss_kib(void)
{
    long total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL) return 0;
    if (fscanf(f, "%ld %ld", &total, &resident) != 2) resident = 0;
    fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

bool harness_pid_exists(int pid)
{
    long parent;
    if (kill(pid, 0) != 0 && errno == ESRCH) return false;
    char state = state_of(pid, &parent);
    return state != 'Z' && state != 'X' && (state != 0 || access("/proc/self/stat", F_OK) != 0);
}

bool harness_pid_stopped(int pid)
{
    long parent;
    return state_of(pid, &parent) == 'T';
}

bool harness_wine(void) { return false; }

bool harness_instrumented(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    const char *preload = getenv("LD_PRELOAD");
    return (preload != NULL && strstr(preload, "valgrind") != NULL) ||
           getenv("MALLOC_PERTURB_") != NULL;
#endif
}

bool harness_pipe_made(int ends[2])
{
#ifdef __APPLE__
    if (pipe(ends) != 0) return false;
    return fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0 && fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0;
#else
    return pipe2(ends, O_CLOEXEC) == 0;
#endif
}

/* A program of another processor is run by what the variable names, "qemu-aarch64 -L ROOT". */
static void execute(const char *const *arguments)
{
    const char *emulated[64], *emulator = getenv("SPORK_TEST_EMULATOR");
    size_t count = 0, room = sizeof emulated / sizeof *emulated;
    if (emulator != NULL) {
        char *words = strdup(emulator), *rest = words;
        for (char *word; count + 1 < room && (word = strtok_r(rest, " ", &rest)) != NULL;) emulated[count++] = word;
        for (const char *const *a = arguments; *a != NULL && count + 1 < room; a++) emulated[count++] = *a;
        emulated[count] = NULL;
        arguments = emulated;
    }
    execvp(arguments[0], (char *const *)(uintptr_t)arguments);
}

harness_program *harness_run_program(const char *const *arguments)
{
    harness_program *p = calloc(1, sizeof *p);
    int ends[2];
    if (p == NULL || !harness_pipe_made(ends)) return NULL;
    fflush(stdout);
    p->pid = fork();
    if (p->pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGINT, SIG_DFL);
        dup2(ends[1], 1);
        execute(arguments);
        _exit(127);
    }
    close(ends[1]);
    p->output = ends[0];
    return p;
}

static long read_some(harness_program *p, int timeout_ms)
{
    struct pollfd ready = {.fd = p->output, .events = POLLIN};
    if (poll(&ready, 1, timeout_ms) != 1) return -1;
    ssize_t n = read(p->output, p->buffer + p->used, sizeof p->buffer - p->used);
    if (n > 0) p->used += (size_t)n;
    return n;
}

void harness_kill(harness_program *p) { kill(p->pid, SIGKILL); }
void harness_interrupt(harness_program *p) { kill(p->pid, SIGINT); }

static bool reaped(void *user)
{
    harness_program *p = user;
    int status;
    if (!p->ended && waitpid(p->pid, &status, WNOHANG) == p->pid) {
        p->ended = true;
        p->exitcode = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    return p->ended;
}

int harness_wait(harness_program *p)
{
    if (harness_until(reaped, p)) return p->exitcode;
    harness_kill(p);
    harness_until(reaped, p);
    return -1000;
}

void harness_free(harness_program *p)
{
    if (p == NULL) return;
    if (!reaped(p)) {
        harness_kill(p);
        harness_until(reaped, p);
    }
    close(p->output);
    free(p);
}

#endif
