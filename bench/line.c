/* Two threads pass a word to and fro; the system has them on two CPUs, as both are busy. */
#include "line.h"

#include <stdatomic.h>
#include <stdbool.h>

#include <spork/spork.h>

#include "harness.h"

enum { TRIPS = 2000, TURNS = 5 };
static const double patience = 0.2; /* seconds; both may be on one CPU */

static struct {
    _Alignas(128) _Atomic unsigned word;
    _Alignas(128) _Atomic bool over;
} line;

static int answer(const spork_args *args)
{
    (void)args;
    for (unsigned seen; !atomic_load_explicit(&line.over, memory_order_relaxed);)
        if ((seen = atomic_load_explicit(&line.word, memory_order_acquire)) & 1)
            atomic_store_explicit(&line.word, seen + 1, memory_order_release);
    return 0;
}

/* < 0: it took too long. */
static double one_turn(void)
{
    unsigned next = atomic_load(&line.word);
    double begin = spork_time();
    for (int i = 0; i < TRIPS; i++) {
        atomic_store_explicit(&line.word, next + 1, memory_order_release);
        next += 2;
        for (int looks = 1; atomic_load_explicit(&line.word, memory_order_acquire) != next; looks++)
            if (looks % 4096 == 0 && spork_time() - begin > patience) return -1;
    }
    return (spork_time() - begin) * 1e9 / TRIPS;
}

double bench_line_ns(void)
{
    double least = -1;
    atomic_store(&line.word, 0);
    atomic_store(&line.over, false);
    spork_thread *other = spork_thread_new(answer, SPORK_NO_ARGS);
    if (other == NULL || spork_thread_start(other) != SPORK_OK) bench_fail("a thread");
    for (int i = 0; i < TURNS; i++) {
        double ns = one_turn();
        if (ns < 0) break;
        if (least < 0 || ns < least) least = ns;
    }
    atomic_store(&line.over, true);
    spork_thread_join(other, SPORK_FOREVER);
    spork_thread_free(other);
    return least < 0 ? 0 : least;
}
