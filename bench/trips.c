#define _GNU_SOURCE
#include "trips.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <spork/spork.h>

#include "harness.h"
#include "rates.h"

enum {
    BUSY_TRIPS = 20000,
    IN_PLACE_TRIPS = 4000,
    ASLEEP_TRIPS = 200,
    LET_SLEEP_US = 100,
    REST_US = 300
};

/* A way there, and a way back. */
typedef struct way {
    void (*pass)(const struct way *way, bool back, bool put);
    spork_queue *queues[2];
    int pipes[2][2];
    _Atomic uint32_t *words; /* 128 bytes apart */
    size_t size;
} way;

static void by_queue(const way *w, bool back, bool put)
{
    char c = 'x';
    size_t got;
    SPORK_MUST(put ? spork_queue_put_bytes(w->queues[back], &c, 1, SPORK_FOREVER)
                   : spork_queue_get_bytes(w->queues[back], &c, 1, &got, SPORK_FOREVER));
}

static void in_place(const way *w, bool back, bool put)
{
    void *room;
    spork_bytes message;
    if (put) {
        SPORK_MUST(spork_queue_reserve(w->queues[back], w->size, &room, SPORK_FOREVER));
        *(char *)room = 'x';
        SPORK_MUST(spork_queue_commit(w->queues[back], room, w->size));
    } else {
        SPORK_MUST(spork_queue_peek(w->queues[back], &message, SPORK_FOREVER));
        if (*(const char *)message.data != 'x' || message.size != w->size)
            bench_fail("another message");
        SPORK_MUST(spork_queue_release(w->queues[back], message));
    }
}

static void by_pipe(const way *w, bool back, bool put)
{
    char c = 'x';
    if ((put ? write(w->pipes[back][1], &c, 1) : read(w->pipes[back][0], &c, 1)) != 1)
        bench_fail("a pipe");
}

static void by_word(const way *w, bool back, bool put)
{
    _Atomic uint32_t *word = &w->words[back ? 32 : 0];
    if (put) {
        atomic_store_explicit(word, 1, memory_order_release);
        return;
    }
    while (atomic_load_explicit(word, memory_order_acquire) == 0) {}
    atomic_store_explicit(word, 0, memory_order_relaxed);
}

static void busy_us(double us)
{
    for (double end = spork_time() + us / 1e6; spork_time() < end;) {}
}

static void answer(const way *w, bool sleeps, int count)
{
    for (int i = 0; i < count; i++) {
        w->pass(w, false, false);
        if (sleeps) busy_us(LET_SLEEP_US);
        w->pass(w, true, true);
    }
}

static double round_trip(const way *w, bool sleeps, int count)
{
    double took = 0;
    pid_t child = fork();
    if (child < 0) bench_fail("fork");
    if (child == 0) answer(w, sleeps, count), _exit(0);
    for (int i = 0; i < count; i++) {
        if (sleeps) usleep(REST_US);
        double begin = spork_time();
        w->pass(w, false, true);
        w->pass(w, true, false);
        if (i >= count / 4) took += spork_time() - begin; /* the first ones warm up */
    }
    waitpid(child, NULL, 0);
    return took * 1e6 / (count - count / 4) - (sleeps ? LET_SLEEP_US : 0);
}

static double trip_by_queues(void (*pass)(const way *, bool, bool), size_t size, bool sleeps,
                             int count)
{
    way w = {.pass = pass, .size = size};
    spork_queue_options o = {.capacity = 4 << 20,
                             .single_producer = pass == in_place,
                             .single_consumer = pass == in_place};
    for (int i = 0; i < 2; i++)
        if ((w.queues[i] = spork_queue_new_with(&o)) == NULL) bench_fail("a queue");
    double us = round_trip(&w, sleeps, count);
    for (int i = 0; i < 2; i++) spork_queue_free(w.queues[i]);
    return us;
}

double trip_busy_us(void) { return trip_by_queues(by_queue, 1, false, BUSY_TRIPS); }
double trip_asleep_us(void) { return trip_by_queues(by_queue, 1, true, ASLEEP_TRIPS); }
double trip_in_place_us(size_t size)
{
    return trip_by_queues(in_place, size, false, IN_PLACE_TRIPS);
}

double trip_asleep_pipe_us(void)
{
    way w = {.pass = by_pipe};
    if (pipe(w.pipes[0]) != 0 || pipe(w.pipes[1]) != 0) bench_fail("a pipe");
    double us = round_trip(&w, true, ASLEEP_TRIPS);
    for (int i = 0; i < 4; i++) close(w.pipes[i / 2][i % 2]);
    return us;
}

double trip_busy_word_us(void)
{
    way w = {.pass = by_word};
    w.words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (w.words == MAP_FAILED) bench_fail("memory");
    double us = round_trip(&w, false, BUSY_TRIPS);
    munmap((void *)w.words, 4096);
    return us;
}

double trip_alone_ns(void)
{
    enum { COUNT = 100000 };
    way w = {.queues = {spork_queue_new(0, 0), NULL}};
    if (w.queues[0] == NULL) bench_fail("a queue");
    double begin = spork_time();
    for (int i = 0; i < COUNT; i++) by_queue(&w, false, true), by_queue(&w, false, false);
    double ns = (spork_time() - begin) * 1e9 / COUNT;
    spork_queue_free(w.queues[0]);
    return ns;
}

/* ---- what waiting costs ---- */

/* Of the gets alone: what a process costs is bench_process' matter. */
static double cpu_of_waiting(spork_queue *q, int timeout_ms)
{
    char c;
    size_t got;
    spork_queue_get_bytes(q, &c, 1, &got, 0);
    double before = rates_cpu_us(RUSAGE_SELF);
    spork_queue_get_bytes(q, &c, 1, &got, timeout_ms);
    return (rates_cpu_us(RUSAGE_SELF) - before) / 1000;
}

double wait_cpu_ms(int processes)
{
    enum { MS = 1000 };
    double sum = 0, one;
    int results[2];
    spork_queue *q = spork_queue_new(0, 0);
    if (q == NULL || pipe(results) != 0) bench_fail("a queue, or a pipe");
    for (int i = 0; i < processes; i++) {
        pid_t child = fork();
        if (child < 0) bench_fail("fork");
        if (child != 0) continue;
        one = cpu_of_waiting(q, MS);
        _exit(write(results[1], &one, sizeof one) == sizeof one ? 0 : 1);
    }
    for (int i = 0; i < processes; i++) {
        if (read(results[0], &one, sizeof one) != sizeof one) bench_fail("a child");
        sum += one;
        wait(NULL);
    }
    close(results[0]), close(results[1]);
    spork_queue_free(q);
    return sum;
}

/* One message every so often, until the end. The sender is busy: its own sleeps would be late. */
static void send_evenly(spork_queue *q, int messages_per_second, double seconds)
{
    double begin = spork_time(), next = begin;
    while (next < begin + seconds) {
        while (spork_time() < next) {}
        SPORK_MUST(spork_queue_put_bytes(q, "x", 1, SPORK_FOREVER));
        next += 1.0 / messages_per_second;
    }
    SPORK_MUST(spork_queue_put_bytes(q, "", 0, SPORK_FOREVER));
}

double flow_cpu_percent(int messages_per_second)
{
    char c;
    size_t got = 1;
    spork_queue *q = spork_queue_new(0, 0);
    if (q == NULL) bench_fail("a queue");
    pid_t child = fork();
    if (child < 0) bench_fail("fork");
    if (child == 0) send_evenly(q, messages_per_second, 0.3), _exit(0);
    double begin = spork_time(), cpu = rates_cpu_us(RUSAGE_SELF);
    while (got != 0) SPORK_MUST(spork_queue_get_bytes(q, &c, 1, &got, SPORK_FOREVER));
    cpu = rates_cpu_us(RUSAGE_SELF) - cpu;
    double took = (spork_time() - begin) * 1e6;
    waitpid(child, NULL, 0);
    spork_queue_free(q);
    return cpu * 100 / took;
}
