/* Throughput and latency of the queue, beside a bare ring and the peers that are installed. */
#define _GNU_SOURCE
#include "harness.h"

#include <stdio.h>

#ifdef __linux__

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <spork/spork.h>

#include "transports.h"

enum { LARGEST = 1 << 20, SIDES = 2 };
static const double seconds = 0.12;

/* What the processes of one round share. */
static struct control {
    _Atomic int ready;
    _Atomic bool go;
    _Alignas(128) _Atomic uint64_t got[SIDES];
    _Atomic int64_t end_us[SIDES];
} * control;
static char *buffer;
static double cpu_ns_per_message; /* of the last round */

static void wait_for_go(void)
{
    atomic_fetch_add(&control->ready, 1);
    while (!atomic_load(&control->go)) spork_sleep(1);
}

static void produce(const transport *t, size_t size)
{
    memset(buffer, 1, size);
    wait_for_go();
    double end = spork_time() + seconds;
    for (uint64_t n = 0;; n++) {
        t->put(buffer, size);
        if ((size > 4096 || n % 64 == 0) && spork_time() >= end) break;
    }
    if (t->leave != NULL) t->leave();
}

/* Until a message that begins with zero. */
static void consume(const transport *t, size_t size, int index)
{
    uint64_t count = 0;
    wait_for_go();
    while (t->get(buffer, size) == size && buffer[0] != 0) count++;
    atomic_store(&control->end_us[index], (int64_t)(spork_time() * 1e6));
    atomic_store(&control->got[index], count);
    if (t->leave != NULL) t->leave();
}

static double cpu_us(int whose)
{
    struct rusage used;
    getrusage(whose, &used);
    return ((double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec) * 1e6 + (double)used.ru_utime.tv_usec +
           (double)used.ru_stime.tv_usec;
}

/* Millions of messages a second; < 0: this transport cannot. */
static double throughput(const transport *t, size_t size, int sides)
{
    pid_t producers[SIDES], consumers[SIDES];
    if (!t->open(size)) return -1;
    memset(control, 0, sizeof *control);
    double cpu = cpu_us(RUSAGE_CHILDREN);
    fflush(NULL);
    for (int i = 0; i < sides; i++) {
        if ((consumers[i] = fork()) == 0) consume(t, size, i), _exit(0);
        if ((producers[i] = fork()) == 0) produce(t, size), _exit(0);
    }
    while (atomic_load(&control->ready) < 2 * sides) spork_sleep(1);
    double begin = spork_time(), last = begin;
    atomic_store(&control->go, true);
    for (int i = 0; i < sides; i++) waitpid(producers[i], NULL, 0);
    memset(buffer, 0, size);
    for (int i = 0; i < sides; i++) t->put(buffer, size);
    uint64_t got = 0;
    for (int i = 0; i < sides; i++) {
        waitpid(consumers[i], NULL, 0);
        got += atomic_load(&control->got[i]);
        double end = (double)atomic_load(&control->end_us[i]) / 1e6;
        if (end > last) last = end;
    }
    t->close();
    cpu_ns_per_message = got > 0 ? (cpu_us(RUSAGE_CHILDREN) - cpu) * 1000 / (double)got : 0;
    return (double)got / (last - begin) / 1e6;
}

#define THROUGHPUT(name, transport, size, sides)                                                                       \
    static double name(void) { return throughput(&transport, size, sides); }
THROUGHPUT(spork_64, spork_transport, 64, 1)
THROUGHPUT(bare_64, bare_transport, 64, 1)
THROUGHPUT(mq_64, mq_transport, 64, 1)
THROUGHPUT(spork_64_2, spork_transport, 64, 2)
THROUGHPUT(bare_64_2, bare_transport, 64, 2)
THROUGHPUT(spork_1k, spork_transport, 1024, 1)
THROUGHPUT(bare_1k, bare_transport, 1024, 1)
THROUGHPUT(spork_64k, spork_transport, 65536, 1)
THROUGHPUT(bare_64k, bare_transport, 65536, 1)
THROUGHPUT(spork_1m, spork_transport, LARGEST, 1)
THROUGHPUT(bare_1m, bare_transport, LARGEST, 1)
#ifdef BENCH_BOOST
THROUGHPUT(boost_64, boost_transport, 64, 1)
THROUGHPUT(boost_64_2, boost_transport, 64, 2)
THROUGHPUT(boost_1k, boost_transport, 1024, 1)
THROUGHPUT(boost_64k, boost_transport, 65536, 1)
THROUGHPUT(boost_1m, boost_transport, LARGEST, 1)
#endif
#ifdef BENCH_ZMQ
THROUGHPUT(zmq_64, zmq_transport, 64, 1)
THROUGHPUT(zmq_64k, zmq_transport, 65536, 1)
#endif

static double cpu_64_2(void)
{
    throughput(&spork_transport, 64, 2);
    return cpu_ns_per_message;
}
static double allowed_cpu(void) { return 250; }

static double copy_1m(void)
{
    static char to[LARGEST];
    double begin = spork_time();
    for (int i = 0; i < 200; i++) {
        buffer[i] = (char)i;
        memcpy(to, buffer, LARGEST);
        __asm__ volatile("" : : "r"(to) : "memory");
    }
    return 200 / (spork_time() - begin) / 1e6;
}

/* ---- latency ---- */

static spork_queue *there, *back;
static int there_pipe[2], back_pipe[2];

static void spork_pass(spork_queue *q, char *c, bool put)
{
    size_t got;
    SPORK_MUST(put ? spork_queue_put_bytes(q, c, 1, SPORK_FOREVER)
                   : spork_queue_get_bytes(q, c, 1, &got, SPORK_FOREVER));
}
static void pipe_pass(int fd, char *c, bool put)
{
    if ((put ? write(fd, c, 1) : read(fd, c, 1)) != 1) exit(1);
}

static void busy_us(double us)
{
    for (double end = spork_time() + us / 1e6; spork_time() < end;) {}
}

/* Microseconds for a message there and back. `pause_us`: each side lets the other fall asleep before it sends. */
static double round_trip(bool by_pipe, double pause_us, int count)
{
    char c = 'x';
    there = spork_queue_new(0, 0), back = spork_queue_new(0, 0);
    if (there == NULL || back == NULL || pipe(there_pipe) != 0 || pipe(back_pipe) != 0) exit(1);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < count; i++) {
            if (by_pipe)
                pipe_pass(there_pipe[0], &c, false);
            else
                spork_pass(there, &c, false);
            if (pause_us > 0) busy_us(pause_us);
            if (by_pipe)
                pipe_pass(back_pipe[1], &c, true);
            else
                spork_pass(back, &c, true);
        }
        _exit(0);
    }
    double took = 0;
    for (int i = 0; i < count; i++) {
        if (pause_us > 0) usleep(300);
        double begin = spork_time();
        if (by_pipe)
            pipe_pass(there_pipe[1], &c, true);
        else
            spork_pass(there, &c, true);
        if (by_pipe)
            pipe_pass(back_pipe[0], &c, false);
        else
            spork_pass(back, &c, false);
        if (i >= count / 4) took += spork_time() - begin; /* the first ones warm up */
    }
    waitpid(child, NULL, 0);
    spork_queue_free(there);
    spork_queue_free(back);
    for (int i = 0; i < 2; i++) close(there_pipe[i]), close(back_pipe[i]);
    return took * 1e6 / (count - count / 4) - pause_us;
}
static double busy_trip(void) { return round_trip(false, 0, 20000); }
static double two_us(void) { return 2; }
static double asleep_trip(void) { return round_trip(false, 100, 200); }
static double asleep_pipe(void) { return round_trip(true, 100, 200); }

/* Of the get alone: what a process costs is bench_process' matter. */
static double idle_cpu(void)
{
    char c;
    size_t got;
    spork_queue *q = spork_queue_new(0, 0);
    spork_queue_get_bytes(q, &c, 1, &got, 0);
    double cpu = cpu_us(RUSAGE_SELF);
    spork_queue_get_bytes(q, &c, 1, &got, 3000);
    cpu = cpu_us(RUSAGE_SELF) - cpu;
    spork_queue_free(q);
    return cpu / 1000 / 3;
}
static double two_ms(void) { return 2; }

static double python_rate(int size)
{
    char command[600];
    double rate = -1;
    snprintf(command, sizeof command, "python3 %s/peer_queue.py %d 2>/dev/null", BENCH_DIR, size);
    FILE *p = popen(command, "r");
    if (p == NULL) return -1;
    if (fscanf(p, "%lf", &rate) != 1) rate = -1;
    pclose(p);
    return rate;
}

#define CASE(variable, title, u, function) static bench_case variable = {.name = title, .unit = u, .measure = function}
CASE(c_spork_64, "Spork, 64 B, 1 to 1", "M/s", spork_64);
CASE(c_bare_64, "bare ring, 64 B, 1 to 1", "M/s", bare_64);
CASE(c_mq_64, "POSIX mq, 64 B, 1 to 1", "M/s", mq_64);
CASE(c_spork_64_2, "Spork, 64 B, 2 to 2", "M/s", spork_64_2);
CASE(c_bare_64_2, "bare ring, 64 B, 2 to 2", "M/s", bare_64_2);
CASE(c_spork_1k, "Spork, 1 KiB", "M/s", spork_1k);
CASE(c_bare_1k, "bare ring, 1 KiB", "M/s", bare_1k);
CASE(c_spork_64k, "Spork, 64 KiB", "M/s", spork_64k);
CASE(c_bare_64k, "bare ring, 64 KiB", "M/s", bare_64k);
CASE(c_spork_1m, "Spork, 1 MiB", "M/s", spork_1m);
CASE(c_bare_1m, "bare ring, 1 MiB", "M/s", bare_1m);
CASE(c_copy_1m, "memcpy, 1 MiB", "M/s", copy_1m);
CASE(c_cpu, "Spork, 64 B, 2 to 2", "CPU ns", cpu_64_2);
CASE(c_cpu_bar, "allowed", "CPU ns", allowed_cpu);
CASE(c_busy, "Spork, round trip, busy", "us", busy_trip);
CASE(c_two_us, "allowed", "us", two_us);
CASE(c_asleep, "Spork, round trip, asleep", "us", asleep_trip);
CASE(c_asleep_pipe, "pipes, round trip, asleep", "us", asleep_pipe);
CASE(c_idle, "Spork, a second in get", "CPU ms", idle_cpu);
CASE(c_two_ms, "allowed", "CPU ms", two_ms);
#ifdef BENCH_BOOST
CASE(c_boost_64, "Boost, 64 B, 1 to 1", "M/s", boost_64);
CASE(c_boost_64_2, "Boost, 64 B, 2 to 2", "M/s", boost_64_2);
CASE(c_boost_1k, "Boost, 1 KiB", "M/s", boost_1k);
CASE(c_boost_64k, "Boost, 64 KiB", "M/s", boost_64k);
CASE(c_boost_1m, "Boost, 1 MiB", "M/s", boost_1m);
#endif
#ifdef BENCH_ZMQ
CASE(c_zmq_64, "ZeroMQ, 64 B, 1 to 1", "M/s", zmq_64);
CASE(c_zmq_64k, "ZeroMQ, 64 KiB", "M/s", zmq_64k);
#endif
static bench_case python_64 = {.name = "Python Queue, 64 B", .unit = "M/s"};
static bench_case python_1m = {.name = "Python Queue, 1 MiB", .unit = "M/s"};

#define RUN(...)                                                                                                       \
    do {                                                                                                               \
        bench_case *cases[] = {__VA_ARGS__};                                                                           \
        bench_run(cases, sizeof cases / sizeof *cases, bench_rounds(0.3));                                             \
        bench_show(cases, sizeof cases / sizeof *cases);                                                               \
    } while (0)
#ifdef BENCH_BOOST
#define WITH_BOOST(c) , &c
#else
#define WITH_BOOST(c)
#endif
#ifdef BENCH_ZMQ
#define WITH_ZMQ(c) , &c
#else
#define WITH_ZMQ(c)
#endif

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_set_log(SPORK_LOG_ERROR, NULL, NULL); /* a process that was just forked has not said yet that it will put */
    bench_begin(argc, argv, "Queue");
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    buffer = malloc(LARGEST);
    if (control == MAP_FAILED || buffer == NULL) bench_fail("no memory");
    RUN(&c_spork_64, &c_bare_64 WITH_BOOST(c_boost_64) WITH_ZMQ(c_zmq_64));
    RUN(&c_spork_64_2, &c_bare_64_2 WITH_BOOST(c_boost_64_2));
    RUN(&c_spork_1k, &c_bare_1k WITH_BOOST(c_boost_1k));
    RUN(&c_spork_64k, &c_bare_64k WITH_BOOST(c_boost_64k) WITH_ZMQ(c_zmq_64k));
    RUN(&c_spork_1m, &c_bare_1m, &c_copy_1m WITH_BOOST(c_boost_1m));
    RUN(&c_cpu, &c_cpu_bar);
    RUN(&c_busy, &c_two_us);
    RUN(&c_asleep, &c_asleep_pipe);
    RUN(&c_idle, &c_two_ms);
    if (mq_64() > 0) RUN(&c_mq_64);
    for (int i = 0; i < 3; i++) {
        double small = python_rate(64), large = python_rate(LARGEST);
        if (small > 0) bench_add(&python_64, small);
        if (large > 0) bench_add(&python_1m, large);
    }
    bench_at_least("64 B, 1 to 1", &c_spork_64, &c_bare_64, 0.8);
    bench_report("64 B, 2 to 2", &c_spork_64_2, &c_bare_64_2);
    bench_report("1 KiB", &c_spork_1k, &c_bare_1k);
    bench_report("64 KiB", &c_spork_64k, &c_bare_64k);
    bench_report("1 MiB", &c_spork_1m, &c_bare_1m);
    bench_at_least("1 MiB, to a copy", &c_spork_1m, &c_copy_1m, 0.45);
#ifdef BENCH_BOOST
    bench_at_least("64 B, 1 to 1", &c_spork_64, &c_boost_64, 3);
    bench_at_least("64 B, 2 to 2", &c_spork_64_2, &c_boost_64_2, 2.5);
    bench_at_least("1 KiB", &c_spork_1k, &c_boost_1k, 1.6);
    bench_at_least("64 KiB", &c_spork_64k, &c_boost_64k, 1.3);
    bench_at_least("1 MiB", &c_spork_1m, &c_boost_1m, 1.8);
#endif
#ifdef BENCH_ZMQ
    bench_report("64 B, 1 to 1", &c_spork_64, &c_zmq_64);
    bench_report("64 KiB", &c_spork_64k, &c_zmq_64k);
#endif
    bench_at_most("CPU a message, 2 to 2", &c_cpu, &c_cpu_bar, 1);
    bench_at_most("round trip, busy", &c_busy, &c_two_us, 1);
    bench_at_most("round trip, asleep", &c_asleep, &c_asleep_pipe, 1.3);
    bench_at_most("a second in get", &c_idle, &c_two_ms, 1);
    if (c_mq_64.count > 0) bench_report("64 B, 1 to 1", &c_spork_64, &c_mq_64);
    if (python_64.count > 0) bench_report("64 B, 1 to 1", &c_spork_64, &python_64);
    if (python_1m.count > 0) bench_report("1 MiB", &c_spork_1m, &python_1m);
    return bench_end();
}

#else

int main(int argc, char **argv)
{
    bench_begin(argc, argv, "Queue");
    puts("The queue is measured on Linux: its peers here are futexes, POSIX mq and Boost.");
    return bench_end();
}

#endif
