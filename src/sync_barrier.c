/* Barrier. Rounds are numbered; `round` is the present one, `broken` the last one that was broken, `broken_before` the one before that. So
 * whoever slept through the end of its round learns which end that was; who slept through two breaks is told of a break. All is changed
 * under the mutex' word, `round` or `broken` last, so that they are what happened.
 *
 *     line = how many threads of a process have arrived, in which round; for each process that is expected here
 *
 * `arrived` follows from the lines. A process that frees the barrier takes its line away; a line whose process has ended is a death.
 *
 * What a death leaves behind, at each point:
 *     arrived, before others are       a line of a dead process: whoever waits, or comes last, breaks the barrier
 *     a line changed, `arrived` not    the word is taken over, and they are counted anew
 *     the round over, nobody woken     each sleeper looks by itself within its bound
 *     in the action                    all have arrived, and the round goes on: its line is a dead one's, as above */
#include "backoff.h"
#include "deadline.h"
#include "error.h"
#include "sync.h"

enum { LOOK_EVERY_MS = 100, INSIDE_MS = 50 };
enum { BY_DEATH = 1, BY_ABORT = 2, BY_RESET = 3, BY_ACTION = 4 };

typedef struct line {
    _Alignas(8) _Atomic uint64_t round; /* which `arrived` is of: in all others it is 0 */
    _Atomic uint32_t id, arrived;
} line;
_Static_assert(sizeof(line) == 16, "the same on both sides of a process' border");

typedef struct words {
    spork__sync_words common;
    uint32_t parties;
    _Alignas(128) _Atomic uint64_t round; /* from 1 */
    _Atomic uint64_t broken, broken_before;
    _Atomic uint32_t why, by; /* of `broken` */
    _Atomic uint32_t arrived;
    _Atomic uint64_t looked_at;                                  /* when somebody last asked whether all live */
    _Alignas(128) _Atomic uint64_t numbers[UINT16_MAX / 64 + 1]; /* a bit for each that is given out in this round */
    _Alignas(128) spork__bell bell;
    _Alignas(128) line lines[SPORK__TREE_SLOTS];
} words;

struct spork_barrier {
    spork__sync sync;
};

static words *words_of(const spork__sync *s) { return s->block.data; }
static uint64_t round_of(const words *w) { return atomic_load_explicit(&w->round, memory_order_acquire); }
static uint64_t broken_of(const words *w) { return atomic_load_explicit(&w->broken, memory_order_acquire); }
static uint32_t id_of(const line *l) { return atomic_load_explicit(&l->id, memory_order_relaxed); }
static bool is_dead(const line *l) { return id_of(l) != 0 && !spork__tree_alive(id_of(l)); }
static line *line_of(words *w, uint32_t id) { return &w->lines[id & (SPORK__TREE_SLOTS - 1)]; }

/* Not more than there are numbers, whatever has become of the word: others can write there, too. */
static uint32_t parties_of(const words *w)
{
    uint32_t parties = *(const volatile uint32_t *)&w->parties;
    return parties > 0 && parties <= UINT16_MAX ? parties : UINT16_MAX;
}

static uint32_t arrived_of(const words *w, const line *l) { return l->round == round_of(w) ? l->arrived : 0; }

/* ---- under the mutex' word ---- */

/* The least that nobody has; one that a death has lost is back with the next round, which only a reset begins then. */
static uint32_t take_number(words *w)
{
    const uint32_t parties = parties_of(w);
    for (uint32_t i = 0; i < parties; i++)
        if (!(w->numbers[i / 64] >> i % 64 & 1)) {
            atomic_fetch_or(&w->numbers[i / 64], UINT64_C(1) << i % 64);
            return i;
        }
    return parties - 1;
}

static void give_number(words *w, uint32_t number)
{
    atomic_fetch_and(&w->numbers[number / 64], ~(UINT64_C(1) << number % 64));
}

static void forget_numbers(words *w)
{
    for (uint32_t i = 0; i <= (parties_of(w) - 1) / 64; i++) atomic_store(&w->numbers[i], 0);
}

static void count_anew(words *w)
{
    uint32_t arrived = 0;
    for (uint32_t i = 0; i < SPORK__TREE_SLOTS; i++) arrived += arrived_of(w, &w->lines[i]);
    atomic_store(&w->arrived, arrived);
    if (arrived == 0) forget_numbers(w);
}

static spork_status enter(spork__sync *s, int timeout_ms)
{
    spork_status status = spork__robust_acquire(&spork__sync_mutex(s)->word, s->berth, timeout_ms);
    if (status != SPORK_OWNER_DIED) return status;
    count_anew(words_of(s));
    return SPORK_OK;
}

static void leave_words(spork__sync *s) { spork__robust_release(&spork__sync_mutex(s)->word, s->berth); }

static void arrive(words *w, line *l, int change)
{
    uint32_t now = arrived_of(w, l);
    l->arrived = now + (uint32_t)change;
    l->round = round_of(w); /* a death before this leaves a number of no round, or of a dead one's line */
    spork__at(SPORK__AT_BARRIER_ARRIVED);
    atomic_store(&w->arrived, w->arrived + (uint32_t)change);
}

static void break_it(words *w, uint32_t why, uint32_t by)
{
    if (broken_of(w) == round_of(w)) return; /* the first reason counts */
    w->why = why;
    w->by = by;
    atomic_store(&w->broken_before, broken_of(w));
    atomic_store(&w->broken, round_of(w));
}

static void next_round(words *w)
{
    atomic_store(&w->round, round_of(w) + 1); /* from here on all lines are of another round */
    atomic_store(&w->arrived, 0);
    forget_numbers(w);
    spork__at(SPORK__AT_BARRIER_PASSED);
}

/* A line of another process that had the same place in the tree is a dead one's. */
static line *expect(words *w, uint32_t me)
{
    line *l = line_of(w, me);
    uint32_t id = id_of(l);
    if (id == me) return l;
    if (id != 0) break_it(w, BY_DEATH, id);
    l->arrived = 0;
    atomic_store(&l->id, me);
    return l;
}

/* Breaks it if one of those that are expected, or of those that have arrived, has died. */
static bool find_dead(words *w, bool arrived_only)
{
    for (uint32_t i = 0; i < SPORK__TREE_SLOTS; i++) {
        line *l = &w->lines[i];
        if (id_of(l) == 0 || (arrived_only && arrived_of(w, l) == 0) || !is_dead(l)) continue;
        break_it(w, BY_DEATH, id_of(l));
        return true;
    }
    return false;
}

static void ring(spork__sync *s) { spork__bell_ring_late(&words_of(s)->bell, &s->ear); }

/* ---- what came of it ---- */

static spork_status tell_why(const words *w)
{
    char who[64];
    uint32_t why = w->why;
    spork__holder_text((uint64_t)w->by << 32, who, sizeof who);
    switch (why) {
    case BY_DEATH:
        return spork__fail(SPORK_BROKEN, "%s ended, and was expected here; spork_barrier_reset makes it usable again",
                           who);
    case BY_ACTION:
        return spork__fail(SPORK_BROKEN, "the action failed in %s; spork_barrier_reset makes it usable again", who);
    case BY_RESET: return spork__fail(SPORK_BROKEN, "%s has called spork_barrier_reset", who);
    default:
        return spork__fail(SPORK_BROKEN, "%s has called spork_barrier_abort; spork_barrier_reset makes it usable again",
                           who);
    }
}

static bool is_over(const words *w, uint64_t round) { return round_of(w) != round || broken_of(w) == round; }

static spork_status outcome(const words *w, uint64_t round)
{
    uint64_t broken = broken_of(w);
    return round != broken && round > w->broken_before ? SPORK_OK : tell_why(w);
}

/* ---- waiting ---- */

/* One of those who wait does this now and then. */
static void look_around(spork__sync *s)
{
    words *w = words_of(s);
    uint64_t now = spork__os_now(), last = atomic_load(&w->looked_at);
    if (spork__planted(SPORK__BUG_BARRIER_WAITS_ON)) return;
    if (now < last + LOOK_EVERY_MS * UINT64_C(1000000) || !atomic_compare_exchange_strong(&w->looked_at, &last, now))
        return;
    bool dead = false;
    for (uint32_t i = 0; i < SPORK__TREE_SLOTS && !dead; i++) dead = is_dead(&w->lines[i]);
    if (!dead || enter(s, INSIDE_MS) != SPORK_OK) return;
    dead = find_dead(w, false);
    leave_words(s);
    if (dead) ring(s);
}

/* Takes the arrival back. false: too late for that, all have arrived. */
static bool withdraw(spork__sync *s, uint32_t me, uint64_t round, uint32_t number)
{
    words *w = words_of(s);
    if (enter(s, INSIDE_MS) != SPORK_OK) return false;
    bool can = !is_over(w, round) && w->arrived < parties_of(w);
    if (can) {
        arrive(w, line_of(w, me), -1);
        give_number(w, number);
    }
    leave_words(s);
    return can;
}

static spork__backoff backoff;

static spork_status sleep_until_over(spork__sync *s, uint32_t me, uint64_t round, uint32_t number, spork__deadline *d)
{
    words *w = words_of(s);
    spork__backoff_while(&backoff, &w->round, round);
    while (!is_over(w, round)) {
        int left = spork__deadline_left(d);
        if (left == 0 && withdraw(s, me, round, number))
            return spork__fail(SPORK_TIMEOUT, "not all of %u have arrived within %d ms", parties_of(w), d->timeout_ms);
        uint32_t ticket = spork__bell_announce(&w->bell);
        if (is_over(w, round)) break;
        spork__bell_sleep(&w->bell, &s->ear, ticket, left == 0 ? 1 : left);
        look_around(s);
    }
    return outcome(w, round);
}

typedef struct action {
    int (*fn)(void *user);
    void *user;
} action;

/* Without the word: it is the user's code. */
static spork_status act(spork__sync *s, uint32_t me, uint64_t round, const action *a)
{
    words *w = words_of(s);
    leave_words(s);
    spork__at(SPORK__AT_BARRIER_ACTING);
    int before = spork__os_cancel_off(); /* the others wait for its end */
    int code = a->fn(a->user);
    spork__os_cancel_restore(before);
    spork_status status = enter(s, SPORK_FOREVER);
    if (status != SPORK_OK) return status;
    if (is_over(w, round))
        status = outcome(w, round); /* aborted, or reset, meanwhile */
    else if (code != 0) {
        break_it(w, BY_ACTION, me);
        status = tell_why(w);
    } else
        next_round(w);
    leave_words(s);
    ring(s);
    return status;
}

/* The last one. Within the word, which it leaves. */
static spork_status complete(spork__sync *s, uint32_t me, uint64_t round, const action *a)
{
    words *w = words_of(s);
    if (!spork__planted(SPORK__BUG_BARRIER_COUNTS_DEAD) && find_dead(w, true)) {
        spork_status status = tell_why(w);
        leave_words(s);
        ring(s);
        return status;
    }
    arrive(w, line_of(w, me), 1);
    if (a->fn != NULL) return act(s, me, round, a);
    next_round(w);
    leave_words(s);
    ring(s);
    return SPORK_OK;
}

/* More come than are expected: the next round is theirs, when the action of this one has run. */
static spork_status wait_for_room(spork__sync *s, spork__deadline *d)
{
    words *w = words_of(s);
    uint64_t round = round_of(w);
    leave_words(s);
    while (!is_over(w, round)) {
        int left = spork__deadline_left(d);
        if (left == 0)
            return spork__fail(SPORK_TIMEOUT, "the last round's action took longer than %d ms", d->timeout_ms);
        uint32_t ticket = spork__bell_announce(&w->bell);
        if (is_over(w, round)) break;
        spork__bell_sleep(&w->bell, &s->ear, ticket, left);
        look_around(s);
    }
    return SPORK_OK;
}

static spork_status wait_at(spork__sync *s, const action *a, unsigned *index, int timeout_ms)
{
    words *w = words_of(s);
    spork__deadline d = {.timeout_ms = timeout_ms};
    uint32_t me;
    spork_status status = spork__sync_participate(&me);
    while (status == SPORK_OK) {
        status = enter(s, timeout_ms < 0 || timeout_ms > INSIDE_MS ? timeout_ms : INSIDE_MS);
        if (status == SPORK_TIMEOUT) return spork__fail(status, "not within %d ms", timeout_ms);
        if (status != SPORK_OK) return status;
        line *l = expect(w, me);
        uint64_t round = round_of(w);
        if (broken_of(w) == round) {
            status = tell_why(w);
            leave_words(s);
            return status;
        }
        uint32_t before = w->arrived, number = 0;
        if (before >= parties_of(w)) {
            status = wait_for_room(s, &d);
            continue;
        }
        if (before + 1 == parties_of(w)) {
            number = take_number(w);
            status = complete(s, me, round, a);
        } else if (timeout_ms == 0) {
            leave_words(s);
            return spork__fail(SPORK_TIMEOUT, "%u of %u have arrived", before, parties_of(w));
        } else {
            arrive(w, l, 1);
            number = take_number(w);
            leave_words(s);
            status = sleep_until_over(s, me, round, number, &d);
        }
        if (status == SPORK_OK && index != NULL) *index = number;
        return status;
    }
    return status;
}

static spork_status wait_in_call(spork_barrier *b, const action *a, unsigned *index, int timeout_ms, const char *call)
{
    spork_status status = spork__timed(
        spork__sync_check(SPORK__SYNC(b), &spork__barrier_kind, call), timeout_ms, call);
    return status == SPORK_OK ? spork__in_call(wait_at(&b->sync, a, index, timeout_ms), call) : status;
}

spork_status spork_barrier_wait_then(spork_barrier *b, int (*fn)(void *user), void *user, unsigned *index,
                                     int timeout_ms)
{
    return wait_in_call(b, &(action){fn, user}, index, timeout_ms, "spork_barrier_wait_then");
}

spork_status spork_barrier_wait(spork_barrier *b, unsigned *index, int timeout_ms)
{
    return wait_in_call(b, &(action){NULL, NULL}, index, timeout_ms, "spork_barrier_wait");
}

/* ---- breaking and mending ---- */

spork_status spork_barrier_abort(spork_barrier *b)
{
    static const char call[] = "spork_barrier_abort";
    uint32_t me;
    spork_status status = spork__sync_check(SPORK__SYNC(b), &spork__barrier_kind, call);
    if (status != SPORK_OK) return status;
    status = spork__sync_participate(&me);
    if (status == SPORK_OK) status = enter(&b->sync, SPORK_FOREVER);
    if (status != SPORK_OK) return spork__in_call(status, call);
    break_it(words_of(&b->sync), BY_ABORT, me);
    leave_words(&b->sync);
    ring(&b->sync);
    return SPORK_OK;
}

spork_status spork_barrier_reset(spork_barrier *b)
{
    static const char call[] = "spork_barrier_reset";
    uint32_t me;
    spork_status status = spork__sync_check(SPORK__SYNC(b), &spork__barrier_kind, call);
    if (status != SPORK_OK) return status;
    status = spork__sync_participate(&me);
    if (status == SPORK_OK) status = enter(&b->sync, SPORK_FOREVER);
    if (status != SPORK_OK) return spork__in_call(status, call);
    words *w = words_of(&b->sync);
    if (w->arrived > 0) break_it(w, BY_RESET, me);
    for (uint32_t i = 0; i < SPORK__TREE_SLOTS; i++)
        if (is_dead(&w->lines[i])) atomic_store(&w->lines[i].id, 0);
    next_round(w);
    leave_words(&b->sync);
    ring(&b->sync);
    return SPORK_OK;
}

bool spork_barrier_broken(const spork_barrier *b)
{
    if (spork__sync_check(SPORK__SYNC(b), &spork__barrier_kind, "spork_barrier_broken") != SPORK_OK) return false;
    return broken_of(words_of(&b->sync)) == round_of(words_of(&b->sync));
}

unsigned spork_barrier_parties(const spork_barrier *b)
{
    if (spork__sync_check(SPORK__SYNC(b), &spork__barrier_kind, "spork_barrier_parties") != SPORK_OK) return 0;
    return parties_of(words_of(&b->sync));
}

unsigned spork_barrier_waiting(const spork_barrier *b)
{
    if (spork__sync_check(SPORK__SYNC(b), &spork__barrier_kind, "spork_barrier_waiting") != SPORK_OK) return 0;
    return atomic_load(&words_of(&b->sync)->arrived);
}

unsigned spork__barrier_expected(const spork_barrier *b)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < SPORK__TREE_SLOTS; i++) count += id_of(&words_of(&b->sync)->lines[i]) != 0;
    return count;
}

/* ---- making ---- */

/* Who was given it is expected from now on. */
static spork_status joined(spork__sync *s)
{
    uint32_t me;
    spork_status status = spork__sync_participate(&me);
    if (status == SPORK_OK) status = enter(s, SPORK_FOREVER);
    if (status != SPORK_OK) return status;
    expect(words_of(s), me);
    leave_words(s);
    return SPORK_OK;
}

static void leave(spork__sync *s)
{
    uint32_t me = spork__tree_self_known();
    words *w = words_of(s);
    if (me == 0 || id_of(line_of(w, me)) != me || !spork__sync_is_last(s) || enter(s, SPORK_FOREVER) != SPORK_OK)
        return;
    atomic_store(&line_of(w, me)->id, 0);
    leave_words(s);
}

const spork__sync_kind spork__barrier_kind = {.kind = SPORK__SYNC_KIND(SPORK__KIND_BARRIER, "barrier"),
                                              .magic = 0x52414253 /* "SBAR" */,
                                              .has_bell = true,
                                              .words_size = sizeof(words),
                                              .joined = joined,
                                              .leave = leave};

spork_barrier *spork_barrier_new(unsigned parties)
{
    static const char call[] = "spork_barrier_new";
    if (parties == 0 || parties > UINT16_MAX) {
        spork__fail(SPORK_INVALID, "%s: %u parties; 1 to 65535 can meet", call, parties);
        return NULL;
    }
    spork__sync *s = spork__sync_new(&spork__barrier_kind, sizeof(words), sizeof(words), call);
    if (s == NULL) return NULL;
    words_of(s)->parties = parties;
    words_of(s)->round = 1;
    return (spork_barrier *)s;
}

void spork_barrier_free(spork_barrier *b)
{
    spork__sync_free(SPORK__SYNC(b), &spork__barrier_kind, "spork_barrier_free");
}
