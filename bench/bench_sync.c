/* Locks, semaphores, events, conditions and barriers beside the system's own: robust mutexes, a bare futex, pthread's condition and
 * barrier, and Python's multiprocessing. */
#define _GNU_SOURCE
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spork/spork.h>

#ifdef __linux__

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ALONE = 1000000, CONTENDED = 400000, TRIPS = 2000, HANDOFFS = 100, PASSES = 2000, HOLDERS = 4, HOLDS = 60 };

static struct shared {
    _Alignas(128) pthread_mutex_t mutex;
    _Alignas(128) pthread_mutex_t plain; /* of the condition: a robust one would be no peer */
    _Alignas(128) pthread_cond_t condition;
    _Alignas(128) pthread_barrier_t barrier2, barrier4;
    _Alignas(128) sem_t semaphore;
    _Alignas(128) atomic_int ready, stop;
    _Alignas(128) _Atomic uint32_t words[2];
    _Alignas(128) long counter;
    _Alignas(128) double told, heard, longest[HOLDERS];
    int turn;
} * shared;

static spork_lock *lock;
static spork_rlock *rlock;
static spork_semaphore *counter, *permits;
static spork_event *events[2];
static spork_condition *condition;
static spork_barrier *barrier2, *barrier4;

static void prepare(void)
{
    pthread_mutexattr_t m;
    pthread_condattr_t c;
    pthread_barrierattr_t b;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) bench_fail("mmap");
    pthread_mutexattr_init(&m);
    pthread_mutexattr_setpshared(&m, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->plain, &m);
    pthread_mutexattr_setrobust(&m, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&shared->mutex, &m);
    pthread_condattr_init(&c);
    pthread_condattr_setpshared(&c, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&shared->condition, &c);
    pthread_barrierattr_init(&b);
    pthread_barrierattr_setpshared(&b, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&shared->barrier2, &b, 2);
    pthread_barrier_init(&shared->barrier4, &b, 4);
    sem_init(&shared->semaphore, 1, 1);
    lock = spork_lock_new();
    rlock = spork_rlock_new();
    counter = spork_semaphore_new(1, 0);
    permits = spork_semaphore_new(1, 1);
    events[0] = spork_event_new();
    events[1] = spork_event_new();
    condition = spork_condition_new();
    barrier2 = spork_barrier_new(2);
    barrier4 = spork_barrier_new(4);
    if (barrier4 == NULL) bench_fail(spork_error());
}

/* ---- a pair of verbs, alone and by two processes at once ---- */

static void take_lock(void) { SPORK_MUST(spork_lock_acquire(lock, SPORK_FOREVER)); }
static void give_lock(void) { SPORK_MUST(spork_lock_release(lock)); }
static void take_rlock(void) { SPORK_MUST(spork_rlock_acquire(rlock, SPORK_FOREVER)); }
static void give_rlock(void) { SPORK_MUST(spork_rlock_release(rlock)); }
static void take_counter(void) { SPORK_MUST(spork_semaphore_acquire(counter, SPORK_FOREVER)); }
static void give_counter(void) { SPORK_MUST(spork_semaphore_release(counter)); }
static void take_permit(void) { SPORK_MUST(spork_semaphore_acquire(permits, SPORK_FOREVER)); }
static void give_permit(void) { SPORK_MUST(spork_semaphore_release(permits)); }
static void take_mutex(void)
{
    if (pthread_mutex_lock(&shared->mutex) != 0) abort();
}
static void give_mutex(void)
{
    if (pthread_mutex_unlock(&shared->mutex) != 0) abort();
}
static void take_sem(void)
{
    while (sem_wait(&shared->semaphore) != 0) {}
}
static void give_sem(void) { sem_post(&shared->semaphore); }

/* Inlined into each case, as a user's loop is. */
#define ALONE_CASE(name, take, give)                                                                                   \
    static double name(void)                                                                                           \
    {                                                                                                                  \
        double begin = spork_time();                                                                                   \
        for (int i = 0; i < ALONE; i++) {                                                                              \
            take();                                                                                                    \
            give();                                                                                                    \
        }                                                                                                              \
        return (spork_time() - begin) * 1e9 / ALONE;                                                                   \
    }
ALONE_CASE(lock_alone, take_lock, give_lock)
ALONE_CASE(rlock_alone, take_rlock, give_rlock)
ALONE_CASE(counter_alone, take_counter, give_counter)
ALONE_CASE(permit_alone, take_permit, give_permit)
ALONE_CASE(mutex_alone, take_mutex, give_mutex)
ALONE_CASE(sem_alone, take_sem, give_sem)

static void run(int count, void (*body)(int index))
{
    for (int i = 0; i < count; i++)
        if (fork() == 0) {
            body(i);
            _exit(0);
        }
    for (int i = 0; i < count; i++) {
        int status;
        if (wait(&status) < 0 || status != 0) bench_fail("a process of the benchmark failed");
    }
}

static void begin_together(int count)
{
    atomic_fetch_add(&shared->ready, 1);
    while (atomic_load(&shared->ready) < count) {}
}

/* Nanoseconds for each pass, of two processes that want nothing else; what counts is when both are through. */
static double contended(void (*body)(int index))
{
    atomic_store(&shared->ready, 0);
    shared->counter = 0;
    double begin = spork_time();
    run(2, body);
    double ns = (spork_time() - begin) * 1e9 / (2.0 * CONTENDED);
    if (shared->counter != 2L * CONTENDED) bench_fail("a lock let two in");
    return ns;
}

#define CONTENDED_CASE(name, take, give)                                                                               \
    static void name##_body(int index)                                                                                 \
    {                                                                                                                  \
        (void)index;                                                                                                   \
        begin_together(2);                                                                                             \
        for (int i = 0; i < CONTENDED; i++) {                                                                          \
            take();                                                                                                    \
            shared->counter++;                                                                                         \
            give();                                                                                                    \
        }                                                                                                              \
    }                                                                                                                  \
    static double name(void) { return contended(name##_body); }
CONTENDED_CASE(lock_contended, take_lock, give_lock)
CONTENDED_CASE(mutex_contended, take_mutex, give_mutex)
CONTENDED_CASE(permit_contended, take_permit, give_permit)
CONTENDED_CASE(sem_contended, take_sem, give_sem)

/* ---- four that hold it for a millisecond, again and again: who waits longest? ---- */

static void busy(double seconds)
{
    for (double end = spork_time() + seconds; spork_time() < end;) {}
}

static double longest_wait(void (*body)(int index))
{
    double longest = 0;
    atomic_store(&shared->ready, 0);
    run(HOLDERS, body);
    for (int i = 0; i < HOLDERS; i++)
        if (shared->longest[i] > longest) longest = shared->longest[i];
    return longest * 1e3;
}

#define HOLDING_CASE(name, take, give)                                                                                 \
    static void name##_body(int index)                                                                                 \
    {                                                                                                                  \
        double longest = 0;                                                                                            \
        begin_together(HOLDERS);                                                                                       \
        for (int i = 0; i < HOLDS; i++) {                                                                              \
            double begin = spork_time();                                                                               \
            take();                                                                                                    \
            double waited = spork_time() - begin;                                                                      \
            if (waited > longest) longest = waited;                                                                    \
            busy(1e-3);                                                                                                \
            give();                                                                                                    \
        }                                                                                                              \
        shared->longest[index] = longest;                                                                              \
    }                                                                                                                  \
    static double name(void) { return longest_wait(name##_body); }
HOLDING_CASE(lock_longest, take_lock, give_lock)
HOLDING_CASE(mutex_longest, take_mutex, give_mutex)
static double hundred(void) { return 100; }

/* ---- events: there and back at once, and one way to somebody who sleeps ---- */

static void futex_set(int which)
{
    atomic_store(&shared->words[which], 1);
    syscall(SYS_futex, &shared->words[which], FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}
static void futex_wait(int which)
{
    while (atomic_load(&shared->words[which]) == 0)
        syscall(SYS_futex, &shared->words[which], FUTEX_WAIT, 0, NULL, NULL, 0);
    atomic_store(&shared->words[which], 0);
}
static void event_set(int which) { SPORK_MUST(spork_event_set(events[which])); }
static void event_wait(int which)
{
    SPORK_MUST(spork_event_wait(events[which], SPORK_FOREVER));
    SPORK_MUST(spork_event_clear(events[which]));
}

static double there_and_back(void (*set)(int), void (*wait_for)(int))
{
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < TRIPS; i++) {
            wait_for(0);
            set(1);
        }
        _exit(0);
    }
    double begin = spork_time();
    for (int i = 0; i < TRIPS; i++) {
        set(0);
        wait_for(1);
    }
    double us = bench_since_us(begin) / TRIPS;
    waitpid(child, NULL, 0);
    return us;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Microseconds from the setting to the other's going on, which has slept for a while. */
static double hand_off(void (*set)(int), void (*wait_for)(int))
{
    double took[HANDOFFS];
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < HANDOFFS; i++) {
            wait_for(0);
            shared->heard = spork_time();
            futex_set(1);
        }
        _exit(0);
    }
    for (int i = 0; i < HANDOFFS; i++) {
        usleep(500);
        shared->told = spork_time();
        set(0);
        futex_wait(1);
        took[i] = (shared->heard - shared->told) * 1e6;
    }
    waitpid(child, NULL, 0);
    qsort(took, HANDOFFS, sizeof *took, by_value);
    return took[HANDOFFS / 2];
}

static double trip_event(void) { return there_and_back(event_set, event_wait); }
static double trip_futex(void) { return there_and_back(futex_set, futex_wait); }
static double hand_event(void) { return hand_off(event_set, event_wait); }
static double hand_futex(void) { return hand_off(futex_set, futex_wait); }

/* ---- conditions: two that take turns ---- */

static double turns(void (*body)(int index))
{
    shared->turn = 0;
    atomic_store(&shared->ready, 0);
    double begin = spork_time();
    run(2, body);
    return bench_since_us(begin) / TRIPS;
}

static void turn_condition_body(int me)
{
    begin_together(2);
    SPORK_MUST(spork_condition_acquire(condition, SPORK_FOREVER));
    for (int i = 0; i < TRIPS; i++) {
        while (shared->turn != me) SPORK_MUST(spork_condition_wait(condition, SPORK_FOREVER));
        shared->turn = !me;
        SPORK_MUST(spork_condition_notify(condition, 1));
    }
    SPORK_MUST(spork_condition_release(condition));
}

static void turn_pthread_body(int me)
{
    begin_together(2);
    pthread_mutex_lock(&shared->plain);
    for (int i = 0; i < TRIPS; i++) {
        while (shared->turn != me) pthread_cond_wait(&shared->condition, &shared->plain);
        shared->turn = !me;
        pthread_cond_signal(&shared->condition);
    }
    pthread_mutex_unlock(&shared->plain);
}

static double turn_condition(void) { return turns(turn_condition_body); }
static double turn_pthread(void) { return turns(turn_pthread_body); }

/* ---- barriers ---- */

static double pass(int parties, void (*body)(int index))
{
    atomic_store(&shared->ready, 0);
    double begin = spork_time();
    run(parties, body);
    return bench_since_us(begin) / PASSES;
}

static void pass2_body(int index)
{
    (void)index;
    for (int i = 0; i < PASSES; i++) SPORK_MUST(spork_barrier_wait(barrier2, NULL, SPORK_FOREVER));
    spork_barrier_free(barrier2); /* we are not expected any more */
}
static void pass4_body(int index)
{
    (void)index;
    for (int i = 0; i < PASSES; i++) SPORK_MUST(spork_barrier_wait(barrier4, NULL, SPORK_FOREVER));
    spork_barrier_free(barrier4);
}
static void pthread2_body(int index)
{
    (void)index;
    for (int i = 0; i < PASSES; i++) pthread_barrier_wait(&shared->barrier2);
}
static void pthread4_body(int index)
{
    (void)index;
    for (int i = 0; i < PASSES; i++) pthread_barrier_wait(&shared->barrier4);
}

static double pass2(void) { return pass(2, pass2_body); }
static double pass4(void) { return pass(4, pass4_body); }
static double pthread2(void) { return pass(2, pthread2_body); }
static double pthread4(void) { return pass(4, pthread4_body); }

/* ---- the table ---- */

#define CASE(variable, title, u, function) static bench_case variable = {.name = title, .unit = u, .measure = function}
CASE(c_lock, "lock, alone", "ns", lock_alone);
CASE(c_rlock, "rlock, alone", "ns", rlock_alone);
CASE(c_mutex, "robust pthread mutex, alone", "ns", mutex_alone);
CASE(c_counter, "semaphore (counter), alone", "ns", counter_alone);
CASE(c_permit, "semaphore (permits), alone", "ns", permit_alone);
CASE(c_sem, "sem_t, alone", "ns", sem_alone);
CASE(c_lock2, "lock, two processes", "ns", lock_contended);
CASE(c_mutex2, "robust pthread mutex, two processes", "ns", mutex_contended);
CASE(c_permit2, "semaphore (permits), two processes", "ns", permit_contended);
CASE(c_sem2, "sem_t, two processes", "ns", sem_contended);
CASE(c_longest, "lock, 4 hold it 1 ms: longest wait", "ms", lock_longest);
CASE(c_longest_mutex, "robust pthread mutex, 4 hold it 1 ms: longest wait", "ms", mutex_longest);
CASE(c_hundred, "a tenth of a second", "ms", hundred);
CASE(c_trip, "event, there and back", "us", trip_event);
CASE(c_trip_futex, "futex, there and back", "us", trip_futex);
CASE(c_hand, "event, set and wake", "us", hand_event);
CASE(c_hand_futex, "futex, set and wake", "us", hand_futex);
CASE(c_turn, "condition, a turn of two", "us", turn_condition);
CASE(c_turn_pthread, "pthread condition, a turn of two", "us", turn_pthread);
CASE(c_pass2, "barrier of 2", "us", pass2);
CASE(c_pthread2, "pthread barrier of 2", "us", pthread2);
CASE(c_pass4, "barrier of 4", "us", pass4);
CASE(c_pthread4, "pthread barrier of 4", "us", pthread4);
static bench_case c_python = {.name = "Python's Lock, alone", .unit = "ns"};

static double python_lock(void)
{
    double ns = 0;
    FILE *f = popen("python3 " BENCH_DIR "/peer_sync.py 2>/dev/null", "r");
    if (f == NULL || fscanf(f, "%lf", &ns) != 1) ns = 0;
    if (f != NULL) pclose(f);
    return ns;
}

static void run_and_show(bench_case *const *cases, size_t count, double share)
{
    bench_run(cases, count, bench_rounds(share));
    bench_show(cases, count);
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    bench_begin(argc, argv, "Locks and their kin");
    prepare();
    bench_case *alone[] = {&c_lock, &c_mutex, &c_rlock, &c_counter, &c_permit, &c_sem};
    bench_case *two[] = {&c_lock2, &c_mutex2, &c_permit2, &c_sem2};
    bench_case *four[] = {&c_longest, &c_longest_mutex, &c_hundred};
    bench_case *wakes[] = {&c_trip, &c_trip_futex, &c_hand, &c_hand_futex, &c_turn, &c_turn_pthread};
    bench_case *meetings[] = {&c_pass2, &c_pthread2, &c_pass4, &c_pthread4};
    run_and_show(alone, 6, 1);
    run_and_show(two, 4, 1);
    run_and_show(four, 3, 0.3);
    run_and_show(wakes, 6, 0.5);
    run_and_show(meetings, 4, 0.3);
    double python = python_lock();
    if (python > 0) bench_add(&c_python, python);
    bench_at_most("lock, alone / robust mutex", &c_lock, &c_mutex, 1.0);
    bench_at_most("lock, two processes / robust mutex", &c_lock2, &c_mutex2, 1.0);
    bench_at_most("lock, longest wait / 100 ms", &c_longest, &c_hundred, 1.0);
    bench_at_most("event, set and wake / futex", &c_hand, &c_hand_futex, 1.3);
    bench_at_most("event, there and back / futex", &c_trip, &c_trip_futex, 1.3);
    bench_report("rlock, alone / robust mutex", &c_rlock, &c_mutex);
    bench_report("semaphore (counter) / sem_t", &c_counter, &c_sem);
    bench_report("semaphore (permits) / sem_t", &c_permit, &c_sem);
    bench_report("semaphore (permits), two processes / sem_t", &c_permit2, &c_sem2);
    bench_report("condition, a turn / pthread's", &c_turn, &c_turn_pthread);
    bench_report("barrier of 2 / pthread's", &c_pass2, &c_pthread2);
    bench_report("barrier of 4 / pthread's", &c_pass4, &c_pthread4);
    if (c_python.count > 0) bench_report("lock, alone / Python's", &c_lock, &c_python);
    return bench_end();
}

#else

int main(int argc, char **argv)
{
    bench_begin(argc, argv, "Locks and their kin");
    puts("Locks are measured on Linux.");
    return bench_end();
}

#endif
