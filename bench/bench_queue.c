/* Throughput and latency of the queue, beside bare rings and the peers that are installed. */
#define _GNU_SOURCE
#include "harness.h"

#include <stdio.h>

#ifdef __linux__

#include <string.h>

#include <spork/spork.h>

#include "rates.h"
#include "trips.h"

/* ---- one benchmark for each size and shape ---- */

enum { SPORK, LOOP, BARE, BOOST, ZMQ, ICEORYX, MQ, RATES, SPORK_CPU = RATES, LOOP_CPU, CASES };

typedef struct match {
    const char *name;
    size_t size;
    shape shape;
    bench_case cases[CASES]; /* those that take part have a name */
    throughput last_spork, last_loop;
} match;

static match *now; /* whose turn it is: a case's function takes nothing */

static bool is_large(const match *m) { return m->size >= 65536; }
static const char *unit_of(const match *m) { return is_large(m) ? "k/s" : "M/s"; }
static double measured(const transport *t, throughput *last)
{
    *last = rate_of(t, now->size, now->shape);
    return is_large(now) ? last->messages * 1000 : last->messages;
}

static double rate_spork(void) { return measured(&spork_transport, &now->last_spork); }
/* The best of the three, of each round anew. */
static double rate_loop(void)
{
    double best = 0;
    for (int i = 0; i < LOOPS; i++) {
        throughput last;
        double rate = measured(&loop_transports[i], &last);
        if (rate <= best) continue;
        best = rate;
        now->last_loop = last;
    }
    return best;
}
#define RATE(function, transport)                                                                  \
    static double function(void)                                                                   \
    {                                                                                              \
        throughput last;                                                                           \
        return measured(&transport, &last);                                                        \
    }
RATE(rate_bare, bare_transport)
RATE(rate_mq, mq_transport)
#ifdef BENCH_BOOST
RATE(rate_boost, boost_transport)
#endif
#ifdef BENCH_ZMQ
RATE(rate_zmq, zmq_transport)
#endif
#ifdef BENCH_ICEORYX
RATE(rate_iceoryx, iceoryx_transport)
#endif
/* Of the round at hand, or, where the turns go backwards, of the one before. */
static double cpu_spork(void) { return now->last_spork.cpu_ns; }
static double cpu_loop(void) { return now->last_loop.cpu_ns; }

static void enter(match *m, int which, const char *name, const char *unit, double (*measure)(void))
{
    m->cases[which] = (bench_case){.name = name, .unit = unit, .measure = measure};
}

static void run(match *m, double share)
{
    bench_case *turns[CASES];
    size_t count = 0;
    if (!bench_wants(m->name)) return;
    for (int i = 0; i < CASES; i++)
        if (m->cases[i].name != NULL) turns[count++] = &m->cases[i];
    now = m;
    printf("\n%s", m->name);
    bench_run(turns, count, bench_rounds(share));
    bench_show(turns, count);
}

static void enter_all(match *m)
{
    enter(m, SPORK, "Spork", unit_of(m), rate_spork);
    enter(m, LOOP, "best bare loop", unit_of(m), rate_loop);
    enter(m, BARE, "bare ring that sleeps", unit_of(m), rate_bare);
#ifdef BENCH_BOOST
    enter(m, BOOST, "Boost", unit_of(m), rate_boost);
#endif
#ifdef BENCH_ZMQ
    if (m->shape.producers == 1 && m->shape.consumers == 1)
        enter(m, ZMQ, "ZeroMQ", unit_of(m), rate_zmq);
#endif
#ifdef BENCH_ICEORYX
    if (m->shape.producers == 1 && m->shape.consumers == 1)
        enter(m, ICEORYX, "iceoryx", unit_of(m), rate_iceoryx);
#endif
    enter(m, SPORK_CPU, "Spork", "CPU ns", cpu_spork);
    enter(m, LOOP_CPU, "best bare loop", "CPU ns", cpu_loop);
}

/* Bars of each size; 0: none. */
typedef struct bars {
    double loop, cpu, boost;
} bars;

static void judge(match *m, bars b)
{
    bench_case *c = m->cases;
    if (b.loop > 0) {
        bench_at_least(m->name, &c[SPORK], &c[LOOP], b.loop);
        bench_at_most(m->name, &c[SPORK_CPU], &c[LOOP_CPU], b.cpu);
    } else {
        bench_report(m->name, &c[SPORK], &c[LOOP]);
    }
    bench_report(m->name, &c[SPORK], &c[BARE]);
    if (b.boost > 0)
        bench_at_least(m->name, &c[SPORK], &c[BOOST], b.boost);
    else
        bench_report(m->name, &c[SPORK], &c[BOOST]);
    bench_report(m->name, &c[SPORK], &c[ZMQ]);
    if (c[ICEORYX].name != NULL)
        bench_at_least(m->name, &c[SPORK], &c[ICEORYX], is_large(m) ? 2 : 10);
}

/* ---- the others ---- */

static double in_place_64(void) { return trip_in_place_us(64); }
static double in_place_1m(void) { return trip_in_place_us(LARGEST_MESSAGE); }
static double idle_one(void) { return wait_cpu_ms(1); }
static double idle_eight(void) { return wait_cpu_ms(8); }
static double flow(void) { return flow_cpu_percent(10000); }
static double allowed_40_ns(void) { return 40; }
static double allowed_2_ms(void) { return 2; }
static double allowed_10_ms(void) { return 10; }
static double allowed_25_percent(void) { return 25; }

static double copy_1m(void)
{
    static char from[LARGEST_MESSAGE], to[LARGEST_MESSAGE];
    enum { TIMES = 200 };
    double begin = spork_time();
    for (int i = 0; i < TIMES; i++) {
        from[i] = (char)i;
        memcpy(to, from, LARGEST_MESSAGE);
        __asm__ volatile("" : : "r"(to) : "memory");
    }
    return TIMES / (spork_time() - begin) / 1e3;
}

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
CASE(c_copy, "memcpy, 1 MiB", "k/s", copy_1m);
CASE(c_busy, "Spork, round trip, busy", "us", trip_busy_us);
CASE(c_word, "a word that both look at", "us", trip_busy_word_us);
CASE(c_asleep, "Spork, round trip, asleep", "us", trip_asleep_us);
CASE(c_pipe, "pipes, round trip, asleep", "us", trip_asleep_pipe_us);
CASE(c_place_64, "round trip in place, 64 B", "us", in_place_64);
CASE(c_place_1m, "round trip in place, 1 MiB", "us", in_place_1m);
CASE(c_alone, "Spork, put and get alone", "ns", trip_alone_ns);
CASE(c_40_ns, "allowed", "ns", allowed_40_ns);
CASE(c_idle, "Spork, a second in get", "CPU ms", idle_one);
CASE(c_2_ms, "allowed", "CPU ms", allowed_2_ms);
CASE(c_eight, "Spork, 8 for a second in get", "CPU ms", idle_eight);
CASE(c_10_ms, "allowed", "CPU ms", allowed_10_ms);
CASE(c_flow, "Spork, a consumer of 10 000 a second", "CPU %", flow);
CASE(c_25, "allowed", "CPU %", allowed_25_percent);
static bench_case python_64 = {.name = "Python Queue, 64 B", .unit = "M/s"};
static bench_case python_1m = {.name = "Python Queue, 1 MiB", .unit = "k/s"};

#define RUN(share, ...)                                                                            \
    do {                                                                                           \
        bench_case *cases[] = {__VA_ARGS__};                                                       \
        if (!bench_wants(cases[0]->name)) break;                                                   \
        bench_run(cases, sizeof cases / sizeof *cases, bench_rounds(share));                       \
        bench_show(cases, sizeof cases / sizeof *cases);                                           \
    } while (0)

static match small[] = {
    {.name = "64 B, 1 to 1", .size = 64, .shape = {1, 1}},
    {.name = "64 B, 2 to 2", .size = 64, .shape = {2, 2}},
    {.name = "64 B, 2 to 1", .size = 64, .shape = {2, 1}},
    {.name = "64 B, 1 to 2", .size = 64, .shape = {1, 2}},
    {.name = "64 B, 4 to 4", .size = 64, .shape = {4, 4}},
    {.name = "1 KiB, 1 to 1", .size = 1024, .shape = {1, 1}},
    {.name = "1 KiB, 2 to 2", .size = 1024, .shape = {2, 2}},
    {.name = "1 KiB, 2 to 1", .size = 1024, .shape = {2, 1}},
    {.name = "1 KiB, 1 to 2", .size = 1024, .shape = {1, 2}},
    {.name = "1 KiB, 4 to 4", .size = 1024, .shape = {4, 4}},
};
static match large[] = {{.name = "64 KiB, 1 to 1", .size = 65536, .shape = {1, 1}},
                        {.name = "1 MiB, 1 to 1", .size = LARGEST_MESSAGE, .shape = {1, 1}}};
enum { SMALL = sizeof small / sizeof *small, LARGE = sizeof large / sizeof *large };

static void run_matches(void)
{
    for (int i = 0; i < SMALL; i++) enter_all(&small[i]);
    for (int i = 0; i < LARGE; i++) enter_all(&large[i]);
    now = &small[0];
    if (rate_mq() > 0) enter(&small[0], MQ, "POSIX mq", "M/s", rate_mq);
    for (int i = 0; i < SMALL; i++) run(&small[i], 0.1);
    for (int i = 0; i < LARGE; i++) run(&large[i], 0.1);
    for (int i = 0; i < 3 && bench_wants("Python"); i++) {
        double rate = python_rate(64);
        if (rate > 0) bench_add(&python_64, rate);
        if ((rate = python_rate(LARGEST_MESSAGE)) > 0) bench_add(&python_1m, rate * 1000);
    }
}

static void run_others(void)
{
    RUN(0.3, &c_copy);
    RUN(0.3, &c_busy, &c_word);
    RUN(0.3, &c_asleep, &c_pipe);
    RUN(0.3, &c_place_1m, &c_place_64);
    RUN(0.3, &c_alone, &c_40_ns);
    RUN(0.03, &c_idle, &c_2_ms);
    RUN(0.03, &c_eight, &c_10_ms);
    RUN(0.1, &c_flow, &c_25);
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_set_log(SPORK_LOG_ERROR, NULL, NULL); /* a process that was just forked has not said yet that it will put */
    bench_begin(argc, argv, "Queue");
    bench_place_rounds();
    rates_begin();
    run_matches();
    run_others();
    for (int i = 0; i < SMALL; i++) judge(&small[i], (bars){0.6, 1.7, i < SMALL / 2 ? 3 : 2});
    judge(&large[0], (bars){0, 0, 4});
    judge(&large[1], (bars){0, 0, 1});
    bench_report("64 B, 1 to 1", &small[0].cases[SPORK], &small[0].cases[MQ]);
    bench_report("64 B, 1 to 1", &small[0].cases[SPORK], &python_64);
    bench_report("1 MiB, 1 to 1", &large[1].cases[SPORK], &python_1m);
    bench_at_least("1 MiB, to a copy", &large[1].cases[SPORK], &c_copy, 0.45);
    bench_at_most("round trip, busy", &c_busy, &c_word, 2);
    bench_at_most("round trip, asleep", &c_asleep, &c_pipe, 1.3);
    bench_at_most("in place, 1 MiB to 64 B", &c_place_1m, &c_place_64, 2);
    bench_at_most("put and get alone", &c_alone, &c_40_ns, 1);
    bench_at_most("a second in get", &c_idle, &c_2_ms, 1);
    bench_at_most("8 for a second in get", &c_eight, &c_10_ms, 1);
    bench_at_most("10 000 messages a second", &c_flow, &c_25, 1);
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
