/* Pools beside OpenMP's threads, the wake-ups and copies that a task cannot do without, and Python's pools. */
#define _GNU_SOURCE
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spork/spork.h>

#ifdef __linux__

#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if BENCH_OPENMP
#include "peer_openmp.h"
#endif

enum { TASKS = 20000, ITEMS = 1000000, CHUNK = ITEMS / 16, CALLS = 2000, SLEEPS = 30, LARGE = 1 << 20, LARGES = 16 };

static spork_pool *one, *two;
static spork_future *futures[TASKS];
static long *in, *out;
static unsigned char *large, *other;
static _Atomic uint32_t *words;

/* ---- what runs in workers ---- */

static int add(const spork_args *args, spork_task *task)
{
    long n;
    return spork_unpack(args, &n) == SPORK_OK ? spork_return(task, n + 1) : 1;
}

static int add_item(const void *from, void *to, spork_task *task)
{
    (void)task;
    *(long *)to = *(const long *)from + 1;
    return 0;
}

static int same(const spork_args *args, spork_task *task)
{
    spork_bytes bytes;
    if (spork_unpack(args, &bytes) != SPORK_OK) return 1;
    void *room = spork_task_alloc(task, bytes.size);
    if (room == NULL) return 1;
    memcpy(room, bytes.data, bytes.size);
    return spork_return(task, spork_bytes_of(room, bytes.size));
}

/* ---- many ---- */

static double bulk(void)
{
    double begin = spork_time();
    for (long i = 0; i < TASKS; i++)
        SPORK_MUST(spork_pool_apply_async(two, add, spork_pack(i), NULL, &futures[i]));
    for (long i = 0; i < TASKS; i++) {
        long n = 0;
        SPORK_MUST(spork_future_get(futures[i], SPORK_FOREVER, &n));
        if (n != i + 1) bench_fail("a wrong result");
        spork_future_free(futures[i]);
    }
    return (spork_time() - begin) * 1e9 / TASKS;
}

static double mapped(size_t count, size_t chunk)
{
    spork_map_options o = {.chunk = chunk};
    double begin = spork_time();
    SPORK_MUST(spork_pool_map(two, add_item, in, out, count, &o));
    double ns = (spork_time() - begin) * 1e9 / (double)count;
    if (out[count - 1] != in[count - 1] + 1) bench_fail("a wrong result");
    return ns;
}
static double map_auto(void) { return mapped(ITEMS, 0); }
static double map_single(void) { return mapped(ITEMS / 10, 1); }
#if BENCH_OPENMP
static double openmp_auto(void) { return openmp_ns(in, out, ITEMS, CHUNK); }
static double openmp_single(void) { return openmp_ns(in, out, ITEMS / 10, 1); }
#endif
static double bar_bulk(void) { return 250; }
static double bar_map(void) { return 40; }

/* ---- one ---- */

static void apply_once(long i)
{
    spork_args *result;
    long n = 0;
    SPORK_MUST(spork_pool_apply(one, add, spork_pack(i), &result, SPORK_FOREVER));
    if (spork_unpack(result, &n) != SPORK_OK || n != i + 1) bench_fail("a wrong result");
    spork_args_free(result);
}

static double apply_awake(void)
{
    double begin = spork_time();
    for (long i = 0; i < CALLS; i++) apply_once(i);
    return bench_since_us(begin) / CALLS;
}
static double bar_apply(void) { return 2; }

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of calls before each of which all have fallen asleep. */
static double asleep(void (*call)(long))
{
    double took[SLEEPS];
    for (long i = 0; i < SLEEPS; i++) {
        usleep(1000);
        double begin = spork_time();
        call(i);
        took[i] = bench_since_us(begin);
    }
    qsort(took, SLEEPS, sizeof *took, by_value);
    return took[SLEEPS / 2];
}

static void futex_wait(int which)
{
    while (atomic_exchange(&words[which * 32], 0) == 0) syscall(SYS_futex, &words[which * 32], FUTEX_WAIT, 0, NULL);
}
static void futex_set(int which)
{
    atomic_store(&words[which * 32], 1);
    syscall(SYS_futex, &words[which * 32], FUTEX_WAKE, 1);
}
static void there_and_back(long i)
{
    (void)i;
    futex_set(0);
    futex_wait(1);
}

static double apply_asleep(void) { return asleep(apply_once); }
static double two_wakes(void)
{
    pid_t child = fork();
    if (child == 0)
        for (;;) {
            futex_wait(0);
            futex_set(1);
        }
    double us = asleep(there_and_back);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return us;
}

/* ---- large ones ---- */

static double large_ones(void)
{
    spork_future *some[LARGES];
    double begin = spork_time();
    for (int i = 0; i < LARGES; i++)
        SPORK_MUST(spork_pool_apply_async(two, same, spork_pack(spork_bytes_of(large, LARGE)), NULL, &some[i]));
    for (int i = 0; i < LARGES; i++) {
        spork_bytes bytes;
        SPORK_MUST(spork_future_get(some[i], SPORK_FOREVER, &bytes));
        if (bytes.size != LARGE || ((const unsigned char *)bytes.data)[LARGE - 1] != large[LARGE - 1])
            bench_fail("a wrong result");
        spork_future_free(some[i]);
    }
    return bench_since_us(begin) / LARGES;
}

static double two_copies(void)
{
    double begin = spork_time();
    for (int i = 0; i < LARGES; i++) {
        unsigned char *to = other + (size_t)i * LARGE;
        memcpy(to, large, LARGE);
        memcpy(to + (size_t)LARGES * LARGE, to, LARGE);
    }
    return bench_since_us(begin) / LARGES;
}

/* ---- the start ---- */

static double pool_of_four(void)
{
    spork_args *result;
    double begin = spork_time();
    spork_pool *pool = spork_pool_new(4);
    SPORK_MUST(spork_pool_apply(pool, add, spork_pack(1L), &result, SPORK_FOREVER));
    double us = bench_since_us(begin);
    spork_args_free(result);
    spork_pool_free(pool);
    return us;
}

/* Four children, until all have said a word. */
static double four_forks(void)
{
    int ends[2];
    char word[4];
    pid_t children[4];
    double begin = spork_time();
    if (pipe(ends) != 0) bench_fail("pipe");
    for (int i = 0; i < 4; i++)
        if ((children[i] = fork()) == 0) {
            if (write(ends[1], "", 1) != 1) _exit(1);
            for (;;) pause();
        }
    for (int got = 0; got < 4; got++)
        if (read(ends[0], word, 1) != 1) bench_fail("read");
    double us = bench_since_us(begin);
    for (int i = 0; i < 4; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    close(ends[0]);
    close(ends[1]);
    return us;
}

/* ---- the table ---- */

#define CASE(variable, title, u, function) static bench_case variable = {.name = title, .unit = u, .measure = function}
CASE(c_bulk, "apply_async, many", "ns", bulk);
CASE(c_bar_bulk, "a quarter of a microsecond", "ns", bar_bulk);
CASE(c_map, "map, 1e6 items of 8 bytes, chunks of 1/16", "ns", map_auto);
CASE(c_map_single, "map, 1e5 items, one by one", "ns", map_single);
CASE(c_bar_map, "40 ns", "ns", bar_map);
#if BENCH_OPENMP
CASE(c_openmp, "OpenMP dynamic, the same chunks", "ns", openmp_auto);
CASE(c_openmp_single, "OpenMP dynamic,1", "ns", openmp_single);
#endif
CASE(c_awake, "apply, 1 worker, one after another", "us", apply_awake);
CASE(c_bar_apply, "2 us", "us", bar_apply);
CASE(c_asleep, "apply, 1 worker, asleep", "us", apply_asleep);
CASE(c_wakes, "two wake-ups, asleep", "us", two_wakes);
CASE(c_large, "1 MiB in and out", "us", large_ones);
CASE(c_copies, "two copies of 1 MiB", "us", two_copies);
CASE(c_four, "a pool of 4, and one task", "us", pool_of_four);
CASE(c_forks, "4 forks at once", "us", four_forks);

static bench_case python[] = {{.name = "Python: Pool.apply_async", .unit = "ns"},
                              {.name = "Python: Pool.map", .unit = "ns"},
                              {.name = "Python: Pool.apply", .unit = "us"},
                              {.name = "Python: 1 MiB by Pool.map", .unit = "us"},
                              {.name = "Python: Executor.submit", .unit = "ns"}};
enum { PY_ASYNC, PY_MAP, PY_APPLY, PY_LARGE, PY_SUBMIT, PY_COUNT };

static void ask_python(void)
{
    static const char *const names[PY_COUNT] = {"apply_async", "map", "apply", "large", "submit"};
    char name[32];
    double ns;
    FILE *f = popen("python3 " BENCH_DIR "/peer_pool.py 2>/dev/null", "r");
    while (f != NULL && fscanf(f, "%31s %lf", name, &ns) == 2)
        for (int i = 0; i < PY_COUNT; i++)
            if (strcmp(names[i], name) == 0) bench_add(&python[i], python[i].unit[0] == 'u' ? ns / 1000 : ns);
    if (f != NULL) pclose(f);
}

static void run_and_show(bench_case *const *cases, size_t count, double share)
{
    bench_run(cases, count, bench_rounds(share));
    bench_show(cases, count);
}

static void prepare(void)
{
    in = malloc(ITEMS * sizeof *in);
    out = malloc(ITEMS * sizeof *out);
    large = malloc(LARGE);
    other = malloc((size_t)2 * LARGES * LARGE);
    words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (in == NULL || out == NULL || large == NULL || other == NULL || words == MAP_FAILED) bench_fail("memory");
    for (long i = 0; i < ITEMS; i++) in[i] = i;
    memset(out, 0, ITEMS * sizeof *out);
    memset(large, 7, LARGE);
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    bench_begin(argc, argv, "Pools");
    /* Before anything large is made: a fork of it costs what it costs, and is in bench_process. */
    bench_case *starts[] = {&c_four, &c_forks};
    run_and_show(starts, 2, 0.2);
    one = spork_pool_new(1);
    two = spork_pool_new(2);
    if (two == NULL) bench_fail(spork_error());
    prepare();
    bench_case *awake[] = {&c_awake, &c_bar_apply};
    bench_case *sleepers[] = {&c_asleep, &c_wakes};
    bench_case *larges[] = {&c_large, &c_copies};
    bench_case *bulks[] = {&c_bulk, &c_bar_bulk};
    run_and_show(bulks, 2, 0.3);
#if BENCH_OPENMP
    bench_case *maps[] = {&c_map, &c_openmp, &c_bar_map, &c_map_single, &c_openmp_single};
    run_and_show(maps, 5, 0.3);
#else
    bench_case *maps[] = {&c_map, &c_bar_map, &c_map_single};
    run_and_show(maps, 3, 0.3);
#endif
    run_and_show(awake, 2, 0.3);
    run_and_show(sleepers, 2, 0.3);
    run_and_show(larges, 2, 0.3);
    ask_python();
    bench_at_most("apply_async, a task / 250 ns", &c_bulk, &c_bar_bulk, 1);
    bench_at_most("map, an item / 40 ns", &c_map, &c_bar_map, 1);
#if BENCH_OPENMP
    bench_at_most("map / OpenMP dynamic, same chunks", &c_map, &c_openmp, 1.3);
    bench_report("map one by one / OpenMP dynamic,1", &c_map_single, &c_openmp_single);
#endif
    bench_at_most("apply, awake / 2 us", &c_awake, &c_bar_apply, 1);
    bench_at_most("apply, asleep / two wake-ups", &c_asleep, &c_wakes, 1.2);
    bench_at_most("1 MiB in and out / two copies", &c_large, &c_copies, 2);
    bench_at_most("a pool of 4 and a task / 4 forks", &c_four, &c_forks, 3);
    bench_report("apply_async / Python's", &c_bulk, &python[PY_ASYNC]);
    bench_report("apply_async / Python's Executor", &c_bulk, &python[PY_SUBMIT]);
    bench_report("map / Python's", &c_map, &python[PY_MAP]);
    bench_report("apply / Python's", &c_awake, &python[PY_APPLY]);
    bench_report("1 MiB / Python's", &c_large, &python[PY_LARGE]);
    spork_pool_free(one);
    spork_pool_free(two);
    return bench_end();
}

#else

int main(int argc, char **argv)
{
    bench_begin(argc, argv, "Pools");
    puts("Pools are measured on Linux.");
    return bench_end();
}

#endif
