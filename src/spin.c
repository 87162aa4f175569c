#include "spin.h"

#include <spork/base.h>

#include "platform.h"

#if defined(_MSC_VER)
#include <intrin.h>
#endif

enum { LONGEST_NS = 20000, CREDIT = 16, NOW_AND_THEN = 32 };

static void relax(void)
{
#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
    _mm_pause();
#elif defined(_MSC_VER)
    __yield();
#elif defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ volatile("yield");
#endif
}

/* How many CPUs this process may use; asked once: it is for a guess. */
static int cpus(void)
{
    static atomic_int known;
    int n = atomic_load_explicit(&known, memory_order_relaxed);
    if (n == 0) atomic_store_explicit(&known, n = spork_cpu_count(), memory_order_relaxed);
    return n;
}

/* A success earns credit, a failure costs some; who has none tries now and then, for times change. */
static bool worth_it(atomic_int *credit, atomic_uint *refused)
{
    if (atomic_load_explicit(credit, memory_order_relaxed) > 0) return true;
    return atomic_fetch_add_explicit(refused, 1, memory_order_relaxed) % NOW_AND_THEN == NOW_AND_THEN - 1;
}

typedef struct change {
    const _Atomic uint64_t *word;
    uint64_t value;
} change;

static bool has_changed(void *user)
{
    const change *c = user;
    return atomic_load_explicit(c->word, memory_order_acquire) != c->value;
}

static bool comes(bool (*ready)(void *user), void *user, bool crowded)
{
    uint64_t end = spork__os_now() + LONGEST_NS;
    do {
        for (int i = 0; i < 32; i++) {
            if (ready(user)) return true;
            relax();
        }
        if (crowded) spork__os_yield();
    } while (spork__os_now() < end);
    return false;
}

void spork__spin_until(bool (*ready)(void *user), void *user, unsigned busy)
{
    static atomic_int credit = CREDIT; /* of this process */
    static atomic_uint refused;
    if (cpus() < 2 || !worth_it(&credit, &refused)) return;
    int now = atomic_load_explicit(&credit, memory_order_relaxed);
    int next = comes(ready, user, busy >= (unsigned)cpus()) ? (now < CREDIT ? now + 1 : now) : (now > 0 ? now - 1 : 0);
    atomic_store_explicit(&credit, next, memory_order_relaxed);
}

void spork__spin_while(const _Atomic uint64_t *word, uint64_t value)
{
    change c = {word, value};
    spork__spin_until(has_changed, &c, 1);
}
