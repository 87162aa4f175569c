/* An array of events, each on a line (the "Trace Event Format", JSON array). Written by the process that the user has started, not by its children: one
 * file has one writer. If that is killed the closing bracket is missing, which the viewers do not mind. */
#include "trace.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "platform.h"
#include "shutdown.h"
#include "trace.h"
#include <spork/process.h>

enum { ROOM = 65536, LINE = 400 };

static struct {
    _Atomic int state; /* 0: not yet looked at; 1: on; -1: off */
    int owner;
    FILE *file;
    char text[ROOM]; /* not in the stream's own buffer, which forked processes would write again */
    size_t used;
    bool any;
    uint64_t begin;
} trace; /* under SPORK__LOCK_TRACE */

static void write_out(void)
{
    if (trace.used > 0) {
        spork__os_file_write(trace.file, trace.text, trace.used);
    }
    trace.used = 0;
}

static void close_trace(void)
{
    spork__os_lock(SPORK__LOCK_TRACE);
    if (trace.state == 1 && trace.owner == spork__os_getpid()) {
        write_out();
        spork__os_file_write(trace.file, "\n]\n", 3);
        spork__os_file_close(trace.file);
        trace.state = -1;
    }
    spork__os_unlock(SPORK__LOCK_TRACE);
}

static void open_trace(void)
{
    const char *path = spork__os_getenv("SPORK_TRACE");
    trace.state = -1;
    if (path == NULL || path[0] == 0 || spork_parent_process() != NULL) return;
    trace.file = spork__os_file_new(path);
    if (trace.file == NULL) {
        spork__log(SPORK_LOG_WARNING, "SPORK_TRACE: %s cannot be written", path);
        return;
    }
    spork__os_file_write(trace.file, "[\n", 2);
    trace.owner = spork__os_getpid();
    trace.begin = spork__os_now();
    spork__at_shutdown(close_trace);
    trace.state = 1;
}

bool spork__trace_is_on(void)
{
    if (atomic_load_explicit(&trace.state, memory_order_acquire) == 0) {
        spork__os_lock(SPORK__LOCK_TRACE);
        if (trace.state == 0) open_trace();
        spork__os_unlock(SPORK__LOCK_TRACE);
    }
    return trace.state == 1 && trace.owner == spork__os_getpid();
}

static void add(const char *format, ...) SPORK__PRINTF(1, 2);
static void add(const char *format, ...)
{
    char line[LINE];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof line) return; /* half an event is none */
    spork__os_lock(SPORK__LOCK_TRACE);
    if (trace.state == 1) {
        if (trace.used + (size_t)n + 2 > sizeof trace.text) write_out();
        if (trace.any) trace.used += (size_t)snprintf(trace.text + trace.used, 3, ",\n");
        memcpy(trace.text + trace.used, line, (size_t)n);
        trace.used += (size_t)n;
        trace.any = true;
    }
    spork__os_unlock(SPORK__LOCK_TRACE);
}

/* "Pool-3" is process 3 of the picture. */
static int number_of(const char *pool)
{
    const char *dash = strrchr(pool, '-');
    return dash != NULL ? atoi(dash + 1) : 0;
}

static double us(uint64_t time) { return (double)(int64_t)(time - trace.begin) / 1000; }

void spork__trace_worker(const char *pool, unsigned worker, int pid)
{
    if (!spork__trace_is_on()) return;
    int number = number_of(pool);
    add("{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":%d,\"args\":{\"name\":\"%s\"}}", number, pool);
    add("{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":%d,\"tid\":%u,\"args\":{\"name\":\"Worker-%u (pid %d)\"}}",
        number, worker, worker + 1, pid);
}

void spork__trace_task(const char *pool, unsigned worker, uint64_t began, uint64_t ended, uint64_t task,
                       unsigned attempt, spork_status status)
{
    char name[40];
    if (!spork__trace_is_on() || began == 0) return;
    if (task != 0)
        snprintf(name, sizeof name, "task %llu", (unsigned long long)task);
    else
        snprintf(name, sizeof name, "map");
    add("{\"name\":\"%s\",\"ph\":\"X\",\"ts\":%.3f,\"dur\":%.3f,\"pid\":%d,\"tid\":%u,"
        "\"args\":{\"attempt\":%u,\"status\":\"%s\"}}",
        name, us(began), (double)(ended - began) / 1000, number_of(pool), worker, attempt, spork_status_name(status));
}

void spork__trace_mark(const char *pool, unsigned worker, const char *what, uint64_t task, unsigned attempt)
{
    if (!spork__trace_is_on()) return;
    add("{\"name\":\"%s\",\"ph\":\"i\",\"s\":\"t\",\"ts\":%.3f,\"pid\":%d,\"tid\":%u,"
        "\"args\":{\"task\":%llu,\"attempt\":%u}}",
        what, us(spork__os_now()), number_of(pool), worker, (unsigned long long)task, attempt);
}

void spork__trace_flush(void)
{
    if (!spork__trace_is_on()) return;
    spork__os_lock(SPORK__LOCK_TRACE);
    write_out();
    spork__os_unlock(SPORK__LOCK_TRACE);
}
