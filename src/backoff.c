/* A wait in vain adds to the debt, one with success takes from it. Who is deep in debt tries now
 * and then only, for times change: so who waits for what comes seldom, or never, sleeps at once.
 *
 * The lag is learned from what the last wait found: if n messages came in t, so many as make a
 * batch need t / n times that. It grows at most to the double at once, and while messages come so
 * slowly that a batch would take too long it shrinks to nothing: they then are looked for at once.
 *
 * Distances are times, not counts of pauses: a pause is 5 to 140 cycles, by the processor. */
#include "backoff.h"

#include <stdatomic.h>
#include <stdlib.h>

#include <spork/base.h>

#include "log.h"

#if defined(_MSC_VER)
#include <intrin.h>
#endif

enum { DEFAULT_US = 20, MOST_US = 1000 }; /* of looking */
enum { IN_DEBT = 16, NOW_AND_THEN = 32 }; /* waits */
enum { FIRST_LOOKS = 16 };                /* that come at once, if there is no lag */
enum { LONGEST_STEP_NS = 1000 };          /* between two of the others */
enum { SHORT_NS = 100 };                  /* the first lag; less is none */
enum { LONGEST_LAG_NS = 10000 };          /* that is looked through: a message waits so long */
enum { SPARSE_NS = 1000 };                /* more than that for each message is no flow */
enum { NAP_NS = 30000, NAPS = 3 };        /* a lag that is worth naps, and how many */
enum { YIELDS = 16, LEAVE_NS = 5000000 }; /* in the second step, at most */

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

static uint32_t load(uint32_t *word)
{
    return atomic_load_explicit((_Atomic uint32_t *)word, memory_order_relaxed);
}
static void store(uint32_t *word, uint32_t value)
{
    atomic_store_explicit((_Atomic uint32_t *)word, value, memory_order_relaxed);
}

/* How many CPUs this process may use; asked once: it is for a guess. */
static unsigned cpus(void)
{
    static atomic_uint known;
    unsigned n = atomic_load_explicit(&known, memory_order_relaxed);
    if (n == 0)
        atomic_store_explicit(&known, n = (unsigned)spork_cpu_count(), memory_order_relaxed);
    return n;
}

static atomic_uint bound; /* of the first step, in us, + 1; 0: not looked up yet */

static unsigned look_up_bound(void)
{
    const char *wish = spork__os_getenv("SPORK_SPIN_US");
    char *end;
    long us = wish != NULL ? strtol(wish, &end, 10) : DEFAULT_US;
    if (wish == NULL || (us >= 0 && end != wish && *end == 0))
        return us > MOST_US ? MOST_US : (unsigned)us;
    spork__log(SPORK_LOG_WARNING, "SPORK_SPIN_US=%s: no number of microseconds; it is %d", wish,
               DEFAULT_US);
    return DEFAULT_US;
}

void spork_set_spin(int us)
{
    unsigned wanted = us < 0 ? look_up_bound() : us > MOST_US ? MOST_US : (unsigned)us;
    atomic_store_explicit(&bound, wanted + 1, memory_order_relaxed);
}

/* Nanoseconds of the first step; 0: there is none. */
static uint32_t longest(void)
{
    unsigned us = atomic_load_explicit(&bound, memory_order_relaxed);
    if (us == 0) atomic_store_explicit(&bound, us = look_up_bound() + 1, memory_order_relaxed);
    return cpus() < 2 ? 0 : (us - 1) * 1000;
}

bool spork__backoff_looks(void) { return longest() > 0; }

static bool worth_it(spork__backoff *b)
{
    if (load(&b->debt) < IN_DEBT) return true;
    uint32_t refused = load(&b->refused) + 1;
    store(&b->refused, refused);
    return refused % NOW_AND_THEN == 0;
}

static void account(spork__backoff *b, bool success)
{
    uint32_t debt = load(&b->debt);
    if (success && debt > 0) store(&b->debt, debt - 1);
    if (!success && debt < IN_DEBT) store(&b->debt, debt + 1);
}

static void pause_for(uint64_t from, uint32_t ns)
{
    do relax();
    while (spork__os_now() - from < ns);
}

/* The first step. */
static uint32_t look(spork__progress found, void *user, uint32_t lag, bool crowded)
{
    uint32_t step = lag, n;
    /* These are nearer to each other than the clock can tell. */
    for (int i = 0; i < FIRST_LOOKS && lag == 0; i++) {
        if ((n = found(user)) != 0) return n;
        relax();
    }
    uint64_t begin = spork__os_now(), now = begin;
    for (;;) {
        if (step > 0) pause_for(now, step);
        if ((n = found(user)) != 0) return n;
        now = spork__os_now();
        if (now - begin >= longest()) return 0;
        if (crowded) spork__os_yield();
        if (step < LONGEST_STEP_NS) step += step / 2 + 20;
    }
}

bool spork__backoff_for_answer(spork__backoff *b, spork__progress found, void *user,
                               unsigned others)
{
    if (longest() == 0 || !worth_it(b)) return false;
    bool success = look(found, user, 0, others >= cpus()) != 0;
    account(b, success);
    return success;
}

static void learn(spork__backoff *b, uint64_t took, uint32_t found, uint32_t batch)
{
    uint64_t lag = load(&b->lag), wanted = took * batch / found;
    if (took / found > SPARSE_NS)
        lag /= 2;
    else if (lag < wanted)
        lag = 2 * lag + SHORT_NS < wanted ? 2 * lag + SHORT_NS : wanted;
    else
        lag = (3 * lag + wanted) / 4;
    store(&b->lag, (uint32_t)(lag < 4 * NAP_NS ? lag : 4 * NAP_NS));
}

/* The second step. Bounded in time, too: a yield to who has much to do takes long. */
static uint32_t leave(spork__progress found, void *user, bool nap)
{
    uint64_t begin = spork__os_now();
    uint32_t n = 0;
    for (int i = 0; i < (nap ? NAPS : YIELDS) && n == 0; i++) {
        if (i > 0 && spork__os_now() - begin > LEAVE_NS) break;
        if (nap)
            spork__os_nap();
        else
            spork__os_yield();
        n = found(user);
    }
    return n;
}

/* What was in vain was no flow, or not such a one. */
static void unlearn(spork__backoff *b)
{
    uint32_t lag = load(&b->lag);
    store(&b->lag, lag < SHORT_NS ? 0 : lag - lag / 4);
}

bool spork__backoff_in_flow(spork__backoff *b, spork__progress found, void *user, uint32_t batch)
{
    uint32_t lag = load(&b->lag), n = 0;
    if (longest() == 0 || !worth_it(b)) return false;
    uint64_t begin = spork__os_now();
    if (lag >= NAP_NS) n = leave(found, user, true);
    bool napped = lag >= NAP_NS && spork__os_now() - begin >= NAP_NS; /* not every system can */
    if (n == 0 && !napped)
        n = look(found, user, lag < LONGEST_LAG_NS ? lag : LONGEST_LAG_NS, false);
    if (n == 0 && !napped && lag > 0) n = leave(found, user, false);
    account(b, n != 0);
    if (n != 0)
        learn(b, spork__os_now() - begin, n, batch);
    else
        unlearn(b);
    return n != 0;
}

typedef struct change {
    const _Atomic uint64_t *word;
    uint64_t value;
} change;

static uint32_t has_changed(void *user)
{
    const change *c = user;
    return atomic_load_explicit(c->word, memory_order_acquire) != c->value;
}

void spork__backoff_while(spork__backoff *b, const void *word64, uint64_t value)
{
    change c = {word64, value};
    spork__backoff_for_answer(b, has_changed, &c, 1);
}
