#define _GNU_SOURCE
#include "rates.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <spork/spork.h>

#include "harness.h"

static const double seconds = 0.12;

/* What the processes of one round share. */
static struct control {
    _Atomic int ready;
    _Atomic bool go;
    _Alignas(128) _Atomic uint64_t got[MOST_SIDES];
    _Atomic int64_t end_us[MOST_SIDES];
} * control;
static char *buffer;

void rates_begin(void)
{
    control =
        mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    buffer = malloc(LARGEST_MESSAGE);
    if (control == MAP_FAILED || buffer == NULL) bench_fail("no memory");
}

static void wait_for_go(void)
{
    atomic_fetch_add(&control->ready, 1);
    while (!atomic_load(&control->go)) spork_sleep(1);
}

static void produce(const transport *t, size_t size)
{
    memset(buffer, 1, size);
    if (t->join != NULL) t->join(true);
    wait_for_go();
    double end = spork_time() + seconds;
    for (uint64_t n = 0;; n++) {
        t->put(buffer, size);
        if ((size > 4096 || n % 64 == 0) && spork_time() >= end) break;
    }
    if (t->join != NULL) {
        buffer[0] = 0;
        t->put(buffer, size);
    }
    if (t->leave != NULL) t->leave();
}

/* Until a message that begins with zero. */
static void consume(const transport *t, size_t size, int index)
{
    uint64_t count = 0;
    if (t->join != NULL) t->join(false);
    wait_for_go();
    while (t->get(buffer, size) == size && buffer[0] != 0) count++;
    atomic_store(&control->end_us[index], (int64_t)(spork_time() * 1e6));
    atomic_store(&control->got[index], count);
    if (t->leave != NULL) t->leave();
}

double rates_cpu_us(int whose)
{
    struct rusage used;
    getrusage(whose, &used);
    return ((double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec) * 1e6 +
           (double)used.ru_utime.tv_usec + (double)used.ru_stime.tv_usec;
}

static pid_t begin_side(const transport *t, size_t size, int index, bool producer)
{
    pid_t pid = fork();
    if (pid < 0) bench_fail("fork");
    if (pid > 0) return pid;
    if (producer)
        produce(t, size);
    else
        consume(t, size, index);
    _exit(0);
}

throughput rate_of(const transport *t, size_t size, shape s)
{
    pid_t producers[MOST_SIDES], consumers[MOST_SIDES];
    if (!t->open(size)) return (throughput){-1, 0};
    memset(control, 0, sizeof *control);
    double cpu = rates_cpu_us(RUSAGE_CHILDREN);
    fflush(NULL);
    for (int i = 0; i < s.consumers; i++) consumers[i] = begin_side(t, size, i, false);
    for (int i = 0; i < s.producers; i++) producers[i] = begin_side(t, size, i, true);
    while (atomic_load(&control->ready) < s.producers + s.consumers) spork_sleep(1);
    double begin = spork_time(), last = begin;
    atomic_store(&control->go, true);
    for (int i = 0; i < s.producers; i++) waitpid(producers[i], NULL, 0);
    memset(buffer, 0, size);
    for (int i = 0; i < s.consumers && t->join == NULL; i++) t->put(buffer, size);
    uint64_t got = 0;
    for (int i = 0; i < s.consumers; i++) {
        waitpid(consumers[i], NULL, 0);
        got += atomic_load(&control->got[i]);
        double end = (double)atomic_load(&control->end_us[i]) / 1e6;
        if (end > last) last = end;
    }
    t->close();
    if (got == 0) return (throughput){0, 0};
    return (throughput){(double)got / (last - begin) / 1e6,
                        (rates_cpu_us(RUSAGE_CHILDREN) - cpu) * 1000 / (double)got};
}
