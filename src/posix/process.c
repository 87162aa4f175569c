/* A child's first steps, and what a parent does with a running child, whichever way it was started. */
#include "os.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef NSIG
#define NSIG 65
#endif

_Atomic int spork__own_threads;

/* ---- limits ---- */

spork_status spork__os_check_limits(const spork__limits *limits)
{
#ifdef __APPLE__
    if (limits->max_memory != 0)
        return spork__fail(SPORK_UNSUPPORTED, "max_memory: macOS does not enforce a limit on a process' memory");
#endif
    if (limits->max_memory > INT64_MAX) return spork__fail(SPORK_INVALID, "max_memory is beyond 2^63");
    if (limits->max_files != 0 && limits->max_files < 8)
        return spork__fail(SPORK_INVALID, "max_files: a child needs 8 descriptors at least");
    return SPORK_OK;
}

/* Never above what the parent itself may. */
static struct rlimit lowered(struct rlimit now, rlim_t soft, rlim_t hard)
{
    struct rlimit l = {soft, hard};
    if (now.rlim_max != RLIM_INFINITY && l.rlim_max > now.rlim_max) l.rlim_max = now.rlim_max;
    if (l.rlim_cur > l.rlim_max) l.rlim_cur = l.rlim_max;
    return l;
}

/* A macro, because the type of the first argument is glibc's own. */
#define LIMIT(what, soft, hard, name)                                                                                  \
    do {                                                                                                               \
        struct rlimit l;                                                                                               \
        if (SPORK__SYS(getrlimit(what, &l)) != 0) return spork__fail_os(errno, "the limit %s is unknown", name);       \
        l = lowered(l, soft, hard);                                                                                    \
        if (SPORK__SYS(setrlimit(what, &l)) != 0) return spork__fail_os(errno, "the limit %s cannot be set", name);    \
    } while (0)

/* What a forked child has of its parent's that nobody ever touched, as the stacks that threads have left: mapped, and so counted by the
 * system, but no memory. 0 where the system does not tell. */
static rlim_t untouched(void)
{
    char text[128] = "", *at = text; /* pages: all, resident, of these shared, code, 0, data */
    unsigned long long field[6] = {0};
    int fd = spork__fd_open("/proc/self/statm", O_RDONLY);
    ssize_t n = fd >= 0 ? spork__sys_read(fd, text, sizeof text - 1) : 0;
    spork__fd_close(fd);
    if (n <= 0) return 0;
    for (int i = 0; i < 6; i++) field[i] = strtoull(at, &at, 10);
    unsigned long long data = field[5], touched = field[1] > field[2] ? field[1] - field[2] : 0;
    return data > touched ? (rlim_t)(data - touched) * (rlim_t)sysconf(_SC_PAGESIZE) : 0;
}

static spork_status set_limits(const spork__limits *limits)
{
    rlim_t seconds = (rlim_t)((limits->max_cpu_ms + 999) / 1000), memory = (rlim_t)limits->max_memory,
           files = limits->max_files;
    /* Private memory, not addresses: shared memory and sanitizers map terabytes that they do not use. */
    if (memory != 0) memory += untouched();
    if (memory != 0) LIMIT(RLIMIT_DATA, memory, memory, "max_memory");
    if (seconds != 0) LIMIT(RLIMIT_CPU, seconds, seconds + 1, "max_cpu_ms"); /* SIGXCPU; SIGKILL for who ignores that */
    if (files != 0) LIMIT(RLIMIT_NOFILE, files, files, "max_files");
    return SPORK_OK;
}

/* ---- descriptors ---- */

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool kept(int64_t fd, const int64_t *sorted, size_t count)
{
    return bsearch(&fd, sorted, count, sizeof *sorted, compare) != NULL;
}

/* Never a loop to RLIMIT_NOFILE, which is a billion in some containers: what is open is listed. */
static bool close_listed(const char *directory, const int64_t *sorted, size_t count)
{
    DIR *d = spork__sys_opendir(directory);
    if (d == NULL) return false;
    for (struct dirent *e; (e = spork__sys_readdir(d)) != NULL;) {
        char *end;
        long fd = strtol(e->d_name, &end, 10);
        if (*end != 0 || end == e->d_name || fd <= 2 || fd == dirfd(d) || kept(fd, sorted, count)) continue;
        spork__sys_close((int)fd); /* the listing goes on: it is by number */
    }
    spork__sys_closedir(d);
    return true;
}

/* All between those to keep. */
static bool close_ranges(const int64_t *sorted, size_t count)
{
#if SPORK_HAVE_CLOSE_RANGE
    unsigned next = 3;
    if (close_range(INT_MAX, INT_MAX, 0) != 0) return false; /* nothing there: asks whether the kernel knows it */
    for (size_t i = 0; i < count; i++) {
        if (sorted[i] < (int64_t)next) continue;
        if (sorted[i] > (int64_t)next) close_range(next, (unsigned)sorted[i] - 1, 0);
        next = (unsigned)sorted[i] + 1;
    }
    close_range(next, INT_MAX, 0);
    return true;
#else
    (void)sorted, (void)count;
    return false;
#endif
}

static void close_others(const int64_t *keep, size_t count)
{
    int64_t sorted[512];
    if (count > sizeof sorted / sizeof *sorted - 1) count = sizeof sorted / sizeof *sorted - 1;
    for (size_t i = 0; i < count; i++) sorted[i] = keep[i];
    if (spork__program_fd() >= 0) sorted[count++] = spork__program_fd();
    qsort(sorted, count, sizeof *sorted, compare);
    if (close_ranges(sorted, count) || close_listed("/proc/self/fd", sorted, count) ||
        close_listed("/dev/fd", sorted, count))
        return;
    for (int fd = 3; fd < 4096; fd++)
        if (!kept(fd, sorted, count)) spork__sys_close(fd);
}

/* ---- a child's first steps ---- */

static uint32_t ignored; /* of the signals up to 31, a bit each */

/* Those that a shell, nohup or a service manager ignores for whom it starts. The others have a
 * meaning here: by SIGTERM a process is ended, by SIGXCPU its limit is told, by SIGCHLD its
 * children are seen. */
void spork__os_note_ignored(void)
{
    static const int handed_down[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < sizeof handed_down / sizeof *handed_down; i++) {
        struct sigaction now;
        if (sigaction(handed_down[i], NULL, &now) == 0 && now.sa_handler == SIG_IGN)
            ignored |= 1u << handed_down[i];
    }
}

uint32_t spork__os_ignored(void) { return ignored; }

void spork__signal_default(int number)
{
    bool stays = number < 32 && ignored & 1u << number;
    struct sigaction action = {.sa_handler = stays ? SIG_IGN : SIG_DFL};
    sigaction(number, &action, NULL); /* those that cannot be refuse */
}

void spork__signals_default(void)
{
    sigset_t none;
    for (int number = 1; number < NSIG; number++) spork__signal_default(number);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL); /* last: a pending signal now meets the default */
}

spork_status spork__os_adopt(const spork__adopt *adopt)
{
    spork_status status = SPORK_OK;
    if (adopt->close_others) close_others(adopt->keep, adopt->keep_count);
    if (adopt->ignored != 0) ignored = adopt->ignored;
    if (adopt->lifeline != SPORK__NO_HANDLE) status = spork__os_lifeline_tie(adopt->lifeline);
    if (status == SPORK_OK) status = set_limits(&adopt->limits);
    if (adopt->reset_signals) spork__signals_default();
    return status;
}

void spork__os_ignore_interrupts(void) { signal(SIGINT, SIG_IGN); }

/* ---- the running child ---- */

spork_status spork__os_wait(const spork__child *child, int timeout_ms)
{
    return child->relay ? spork__relay_wait(child, timeout_ms) : spork__exit_wait(child, timeout_ms);
}

spork_status spork__os_reap(spork__child *child, spork__end *end)
{
    return child->relay ? spork__relay_reap(child, end) : spork__exit_reap(child, end);
}

spork_status spork__os_signal(spork__child *child, spork__signal signal)
{
    int number = signal == SPORK__KILL ? SIGKILL : signal == SPORK__INTERRUPT ? SIGINT : SIGTERM;
    return child->relay ? spork__relay_signal(child, number) : spork__exit_signal(child, number);
}

void spork__os_child_close(spork__child *child)
{
    if (child->handle == SPORK__NO_HANDLE && child->job == SPORK__NO_HANDLE &&
        child->ack == SPORK__NO_HANDLE && child->interrupt == SPORK__NO_HANDLE)
        return; /* in a forked child a write costs a page */
    spork__fd_close((int)child->handle);
    spork__fd_close((int)child->job);
    spork__fd_close((int)child->interrupt);
    spork__fd_close((int)child->ack);
    child->handle = child->job = child->interrupt = child->ack = SPORK__NO_HANDLE;
}

void spork__exit_decode(int wait_status, spork__end *end)
{
    end->native = (uint32_t)wait_status;
#ifdef WCOREDUMP
    end->dumped = WIFSIGNALED(wait_status) && WCOREDUMP(wait_status);
#endif
    end->exitcode = WIFEXITED(wait_status)     ? WEXITSTATUS(wait_status)
                    : WIFSIGNALED(wait_status) ? -WTERMSIG(wait_status)
                                               : SPORK_EXIT_UNKNOWN;
}
