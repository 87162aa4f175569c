#include "queue_storm.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cancels.h"
#include "platform.h"
#include "pools.h"
#include "queue.h"

enum {
    PLACES = 8,
    PRODUCERS = 8192,
    NUMBERS = 1024,
    LARGE = 1 << 20,
    CAPACITY = 2 << 20,
    SEVERAL = 4 << 20,
    EXITED = 42
};

/* What they share: one line for each producer that ever lived, one byte for each of its messages. */
typedef struct ledger {
    uint32_t middling; /* a size of messages */
    _Atomic bool stop;
    tally_ledger faults;
    _Atomic long got;
    _Atomic long small_put, small_got; /* messages of one byte, which bear no number */
    _Atomic long cancels;
    _Atomic uint64_t longest_us;
    _Atomic bool calm
        [PRODUCERS]; /* consumers that will not die any more; each that ever lived has a number, as producers have */
    _Atomic bool begun[PRODUCERS]; /* it has come to its loop */
    _Atomic uint32_t put[PRODUCERS];
    _Atomic uint8_t seen[PRODUCERS][NUMBERS];
} ledger;

typedef struct head {
    uint32_t producer, number, size, sum;
} head;

/* One that lives there. */
typedef struct view {
    ledger *ledger;
    spork_queue *queue;
    int index;
    unsigned troubles, random;
    unsigned char *buffer;
    uint32_t number;            /* a producer's next message */
    uint32_t *last;             /* a consumer's: the one it expects, of each producer */
    _Atomic bool over;          /* its loop has ended */
    _Atomic bool leaving;       /* its process is about to end, unless the storm is over first */
} view;

static unsigned next_random(unsigned *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

/* Eight bytes at a time: a megabyte of it must not be what the storm is about. */
static uint32_t sum_of(const unsigned char *data, size_t size)
{
    uint64_t sum = size;
    for (size_t i = 0; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, 8);
        sum = (sum ^ word) * 0x100000001b3u;
    }
    return (uint32_t)(sum ^ sum >> 32);
}

/* The status, and whether the call kept to its time. */
static spork_status timed(view *v, spork_status status, double begin, int timeout_ms, const char *call)
{
    double over = spork_time() - begin - timeout_ms / 1000.0;
    uint64_t us = over > 0 ? (uint64_t)(over * 1e6) : 0, before = atomic_load(&v->ledger->longest_us);
    while (us > before && !atomic_compare_exchange_weak(&v->ledger->longest_us, &before, us)) {}
    if (over * 1000 > harness_patience_ms())
        tally_fault_add(&v->ledger->faults, TALLY_HUNG, "%s took %.1f s too long", call, over);
    if (status != SPORK_OK && status != SPORK_TIMEOUT && status != SPORK_CLOSED)
        tally_fault_add(&v->ledger->faults, TALLY_WRONG, "%s: %s, %s", call, spork_status_name(status), spork_error());
    return status;
}

static bool open_ledger(const spork_args *args, view *v)
{
    harness_end *block;
    spork__block memory;
    int point, nth, bug;
    memset(v, 0, sizeof *v);
    v->buffer = malloc(LARGE);
    if (v->buffer == NULL ||
        spork_unpack(args, harness_take(&block), &v->queue, &v->index, &point, &nth, &bug,
                     &v->troubles, &v->random) != SPORK_OK ||
        spork__os_block_open(&memory, harness_end_native(block), sizeof(ledger)) != SPORK_OK) {
        fprintf(stderr, "%s\n", spork_error());
        return false;
    }
    v->ledger = memory.data;
    spork__plant((spork__bug)bug);
    spork__point_arm((spork__point)point, nth);
    return true;
}

/* Whether its thread is to be left alone from now on. */
static bool is_over(view *v) { return atomic_load(&v->over) || atomic_load(&v->ledger->stop); }

/* The thread inside may have locks, and messages in hands; this one has nothing. What a sanitizer
 * does at an exit would find a thread that ended in that moment, and take it for a leak. */
static void leave(view *v, unsigned *random)
{
    atomic_store(&v->leaving, true);
    if (!is_over(v)) {
        if (next_random(random) % 2 != 0 && !harness_instrumented()) exit(EXITED);
        _Exit(EXITED);
    }
    atomic_store(&v->leaving, false);
}

static void disturb(view *v, cancels_thread *thread, unsigned *random)
{
    while (!is_over(v)) {
        spork_sleep(1 + (int)(next_random(random) % 20));
        if (v->troubles & QUEUE_EXITS && next_random(random) % 8 == 0) leave(v, random);
        if (!(v->troubles & QUEUE_CANCELS) || is_over(v)) continue;
        cancels_cancel(thread);
        return;
    }
}

/* Its loop, in a thread of its own where that is to be disturbed. */
static int live(view *v, int (*loop)(void *view))
{
    unsigned random = v->random;
    int result = 0;
    bool ended = false;
    atomic_store(&v->ledger->begun[v->index], true);
    if (!(v->troubles & (QUEUE_CANCELS | QUEUE_EXITS))) return loop(v);
    while (!ended) {
        cancels_thread *thread = cancels_begin(loop, v);
        if (thread == NULL) return 100;
        disturb(v, thread, &random);
        ended = cancels_join(thread, &result);
        if (!ended) atomic_fetch_add(&v->ledger->cancels, 1);
    }
    return result;
}

static int produce(void *user)
{
    view *v = user;
    while (v->number < NUMBERS && !atomic_load(&v->ledger->stop)) {
        int timeout_ms = (int)(next_random(&v->random) % 200);
        unsigned dice = next_random(&v->random) % 16;
        double begin = spork_time();
        if (dice < 4) {
            v->buffer[0] = 0xA5;
            if (timed(v, spork_queue_put_bytes(v->queue, v->buffer, 1, timeout_ms), begin,
                      timeout_ms, "put") == SPORK_OK)
                atomic_fetch_add(&v->ledger->small_put, 1);
            continue;
        }
        size_t size = dice >= 14   ? LARGE
                      : dice >= 10 ? v->ledger->middling
                                   : 64 + next_random(&v->random) % 200 * 8;
        head h = {(uint32_t)v->index, v->number, (uint32_t)size, 0};
        memset(v->buffer, (int)(v->number + (uint32_t)v->index), size);
        h.sum = sum_of(v->buffer + sizeof h, size - sizeof h);
        memcpy(v->buffer, &h, sizeof h);
        if (timed(v, spork_queue_put_bytes(v->queue, v->buffer, size, timeout_ms), begin,
                  timeout_ms, "put") == SPORK_OK)
            atomic_store(&v->ledger->put[v->index], ++v->number);
    }
    spork__point_arm(SPORK__POINT_NONE, 0);
    atomic_store(&v->over, true);
    return 0;
}

static int producer(const spork_args *args)
{
    view v;
    if (!open_ledger(args, &v)) return 100;
    int code = live(&v, produce);
    free(v.buffer);
    return code;
}

static void check_message(view *v, size_t size)
{
    ledger *l = v->ledger;
    uint32_t *last = v->last;
    head h;
    if (size == 1) {
        if (v->buffer[0] != 0xA5) tally_fault_add(&l->faults, TALLY_TORN, "a message of one byte is another");
        atomic_fetch_add(&l->small_got, 1);
        return;
    }
    if (size < sizeof h) {
        tally_fault_add(&l->faults, TALLY_TORN, "a message of %zu bytes, which nobody put", size);
        return;
    }
    memcpy(&h, v->buffer, sizeof h);
    if (h.size != size || h.producer >= PRODUCERS || h.number >= NUMBERS ||
        h.sum != sum_of(v->buffer + sizeof h, size - sizeof h)) {
        tally_fault_add(&l->faults, TALLY_TORN, "a torn message of %zu bytes", size);
        return;
    }
    if (atomic_fetch_add(&l->seen[h.producer][h.number], 1) != 0)
        tally_fault_add(&l->faults, TALLY_DUPLICATED, "message %u of producer %u came twice", h.number, h.producer);
    if (h.number < last[h.producer])
        tally_fault_add(&l->faults, TALLY_WRONG, "message %u of producer %u came after a later one", h.number,
                        h.producer);
    last[h.producer] = h.number + 1;
    atomic_fetch_add(&l->got, 1);
}

static int consume(void *user)
{
    view *v = user;
    ledger *l = v->ledger;
    for (spork_status status = SPORK_OK;
         status != SPORK_CLOSED && atomic_load(&l->faults.total) == 0;) {
        size_t size;
        int timeout_ms = (int)(next_random(&v->random) % 200);
        double begin = spork_time();
        if (atomic_load(&l->stop) && !atomic_load(&v->leaving)) {
            spork__point_arm(SPORK__POINT_NONE, 0);
            atomic_store(&l->calm[v->index], true);
        }
        status = timed(v, spork_queue_get_bytes(v->queue, v->buffer, LARGE, &size, timeout_ms),
                       begin, timeout_ms, "get");
        if (status != SPORK_OK) continue;
        check_message(v, size);
        if (spork_queue_task_done(v->queue) != SPORK_OK)
            tally_fault_add(&l->faults, TALLY_WRONG, "task_done: %s", spork_error());
    }
    spork__point_arm(SPORK__POINT_NONE, 0);
    atomic_store(&v->over, true);
    return 0;
}

static int consumer(const spork_args *args)
{
    view v;
    if (!open_ledger(args, &v)) return 100;
    v.last = calloc(PRODUCERS, sizeof *v.last);
    if (v.last == NULL) return 100;
    int code = live(&v, consume);
    free(v.last);
    free(v.buffer);
    return code;
}

/* ---- the storm ---- */

typedef struct storm {
    const queue_plan *plan;
    queue_result result;
    ledger *ledger;
    spork__block memory;
    harness_end *block;
    spork_queue *queue;
    spork_process *place[2 * PLACES]; /* producers, then consumers */
    int point[2 * PLACES], number[2 * PLACES];
    double started[2 * PLACES];
    double stopped_until[2 * PLACES]; /* 0: it runs */
    spork_process *grave[PRODUCERS];  /* those whose exit codes wait */
    int born, graves;
    unsigned random;
} storm;

static int count(const storm *s) { return s->plan->producers + s->plan->consumers; }
static bool is_producer(const storm *s, int i) { return i < s->plan->producers; }

/* Those of a putter's points that this one could come by. */
static bool suits(bool puts, int point)
{
    return point == SPORK__POINT_NONE || point < SPORK__AT_RING_PUT_LOCKED ||
           (point < SPORK__AT_RING_GET_LOCKED) == puts;
}

/* The point at which fewest have died, those counted that are about to. */
static int rarest(const storm *s, bool puts)
{
    int best = SPORK__POINT_NONE, fewest = INT_MAX;
    for (int point = (int)s->plan->first; point <= (int)s->plan->last; point++) {
        int dying = s->result.at[point];
        for (int i = 0; i < count(s); i++) dying += s->place[i] != NULL && s->point[i] == point;
        if (suits(puts, point) && dying < fewest) fewest = dying, best = point;
    }
    return best;
}

/* Ends that are no kills count, too. At the plan's points, if it has any: then those that are killed
 * because theirs did not come by do not count. */
static int deaths_meant(const storm *s)
{
    int at_points = 0;
    for (int point = (int)s->plan->first; point <= (int)s->plan->last; point++) at_points += s->result.at[point];
    return s->plan->first == SPORK__POINT_NONE ? s->result.deaths + s->result.exits : at_points;
}

static bool start(storm *s, int i)
{
    const queue_plan *p = s->plan;
    bool puts = is_producer(s, i);
    bool armed = p->first != SPORK__POINT_NONE && !atomic_load(&s->ledger->stop);
    s->point[i] = armed ? rarest(s, puts) : SPORK__POINT_NONE;
    if (s->born == PRODUCERS) return false;
    s->number[i] = s->born++;
    s->place[i] = spork_process_new(
        puts ? producer : consumer,
        spork_pack(harness_give(s->block),
                   puts ? spork_put_only(s->queue) : spork_get_only(s->queue), s->number[i],
                   s->point[i], 1 + (int)(next_random(&s->random) % 8), (int)p->bug, p->troubles,
                   next_random(&s->random)));
    s->started[i] = spork_time();
    s->stopped_until[i] = 0;
    if (spork_process_start(s->place[i]) == SPORK_OK) return true;
    snprintf(s->result.first, sizeof s->result.first, "%s", spork_error());
    s->result.violations++;
    s->result.faults[TALLY_WRONG]++;
    return false;
}

/* Its exit code, if it has ended. Who is to stay a zombie does. */
static bool has_ended(storm *s, int i, int *code)
{
    spork_process *p = s->place[i];
    harness_life life = HARNESS_NOT_OURS;
    if (s->plan->troubles & QUEUE_ZOMBIES) life = harness_zombie(spork_process_pid(p), code);
    s->result.foreign = s->result.foreign || life == HARNESS_NOT_OURS;
    if (life == HARNESS_ENDED) s->grave[s->graves++] = p;
    if (life != HARNESS_NOT_OURS) return life == HARNESS_ENDED;
    if (spork_process_is_alive(p)) return false;
    spork_process_join(p, SPORK_FOREVER);
    *code = spork_process_exitcode(p);
    spork_process_free(p);
    return true;
}

static bool look_after(storm *s, int i)
{
    int code;
    if (!has_ended(s, i, &code)) return true;
    s->place[i] = NULL;
    if (code == -9) {
        s->result.deaths++;
        s->result.consumer_deaths += !is_producer(s, i);
        s->result.at[s->point[i]]++;
    } else if (code == EXITED) {
        s->result.exits++;
        s->result.consumer_deaths += !is_producer(s, i);
    } else if (code != 0) {
        snprintf(s->result.first, sizeof s->result.first, "a process ended with %d", code);
        s->result.violations++;
        s->result.faults[TALLY_WRONG]++;
        return false;
    }
    return start(s, i);
}

/* Now and then one of them is stopped, for up to a fifth of a second. */
static void stop_and_continue(storm *s)
{
    double now = spork_time();
    for (int i = 0; i < count(s); i++)
        if (s->stopped_until[i] != 0 && now > s->stopped_until[i]) {
            pools_continue(spork_process_pid(s->place[i]));
            s->stopped_until[i] = 0;
        }
    int i = (int)(next_random(&s->random) % (unsigned)count(s));
    if (next_random(&s->random) % 4 != 0 || s->stopped_until[i] != 0) return;
    pools_suspend(spork_process_pid(s->place[i]));
    s->stopped_until[i] = now + next_random(&s->random) % 200 / 1000.0;
    s->result.stops++;
}

/* Where it may have ended meanwhile the call of the library's would ask for its exit code. */
static void kill_one(storm *s, int i)
{
    int code, pid = spork_process_pid(s->place[i]);
    if (s->plan->troubles & QUEUE_ZOMBIES && harness_zombie(pid, &code) != HARNESS_NOT_OURS)
        pools_kill(pid);
    else
        spork_process_kill(s->place[i]);
}

/* Now and then. Who is stopped shall also go on before it is killed, and who ends by itself come to
 * that: where processes take long to start, few would ever come to their loops. */
static void kill_somebody(storm *s)
{
    unsigned troubles = s->plan->troubles;
    int i = (int)(next_random(&s->random) % (unsigned)count(s));
    bool seldom = (troubles & (QUEUE_STOPS | QUEUE_EXITS)) != 0;
    if (s->plan->first != SPORK__POINT_NONE || (seldom && next_random(&s->random) % 8 != 0)) return;
    if (!(troubles & QUEUE_EXITS) || atomic_load(&s->ledger->begun[s->number[i]])) kill_one(s, i);
}

/* Has each of its troubles come to somebody? */
static bool has_shown_all(const storm *s)
{
    unsigned t = s->plan->troubles;
    return (!(t & QUEUE_STOPS) || s->result.stops > 0) &&
           (!(t & QUEUE_EXITS) || s->result.exits > 0) &&
           (!(t & QUEUE_CANCELS) || atomic_load(&s->ledger->cancels) > 0);
}

static void rage(storm *s)
{
    for (int i = 0; i < count(s); i++)
        if (!start(s, i)) return;
    harness_budget deaths = s->plan->deaths;
    bool goes_on = true;
    double end = spork_time() + harness_patience_ms() / 1000.0;
    while (atomic_load(&s->ledger->faults.total) == 0) {
        goes_on = goes_on && harness_goes_on(&deaths, deaths_meant(s));
        if (!goes_on && (has_shown_all(s) || spork_time() >= end)) break;
        spork_sleep(1 + (int)(next_random(&s->random) % 4));
        if (s->plan->troubles & QUEUE_STOPS) stop_and_continue(s);
        kill_somebody(s);
        for (int i = 0; i < count(s); i++) {
            if (s->plan->first != SPORK__POINT_NONE &&
                spork_time() - s->started[i] > (harness_wine() ? 5 : 1)) { /* a point that does not come by */
                s->point[i] = SPORK__POINT_NONE;
                kill_one(s, i);
            }
            if (!look_after(s, i)) return;
        }
    }
}

static void let_all_go_on(storm *s)
{
    for (int i = 0; i < count(s); i++)
        if (s->place[i] != NULL && s->stopped_until[i] != 0)
            pools_continue(spork_process_pid(s->place[i]));
}

static bool all_is_well(const storm *s)
{
    return s->result.violations == 0 && atomic_load(&s->ledger->faults.total) == 0;
}

/* A consumer that came to its point now would leave messages that nobody takes. */
static void calm_consumers(storm *s)
{
    for (int i = s->plan->producers; i < count(s); i++)
        for (double end = spork_time() + harness_patience_ms() / 1000.0; all_is_well(s) && spork_time() < end;
             spork_sleep(1))
            if (atomic_load(&s->ledger->calm[s->number[i]]) || !look_after(s, i)) break;
}

/* Producers end by themselves, and consumers at the end of the queue. */
static void calm_down(storm *s)
{
    atomic_store(&s->ledger->stop, true);
    calm_consumers(s);
    spork_queue_drop(s->queue, SPORK_PUT | SPORK_GET);
    for (int i = 0; i < count(s); i++) {
        if (s->place[i] == NULL) continue;
        if (spork_process_join(s->place[i], 2 * harness_patience_ms()) == SPORK_TIMEOUT) {
            tally_fault_add(&s->ledger->faults, TALLY_HUNG,
                            is_producer(s, i) ? "a producer hangs" : "a consumer hangs");
            spork_process_kill(s->place[i]);
            spork_process_join(s->place[i], SPORK_FOREVER);
        }
        int code = spork_process_exitcode(s->place[i]);
        if (code == -9 || code == EXITED)
            s->result.consumer_deaths += !is_producer(s, i); /* before it was told to stop */
        else if (code != 0)
            tally_fault_add(&s->ledger->faults, TALLY_WRONG, "a process ended with %d", code);
        spork_process_free(s->place[i]);
    }
}

/* Zombies until now: the queue had to find out that they are dead by itself. */
static void bury(storm *s)
{
    int code;
    for (int i = 0; i < s->graves; i++) {
        s->result.zombies += harness_zombie(spork_process_pid(s->grave[i]), &code) == HARNESS_ENDED;
        if (spork_process_join(s->grave[i], harness_patience_ms()) != SPORK_OK)
            tally_fault_add(&s->ledger->faults, TALLY_HUNG, "join of a zombie: %s", spork_error());
        spork_process_free(s->grave[i]);
    }
}

static void take_stock(storm *s)
{
    ledger *l = s->ledger;
    queue_result *r = &s->result;
    r->cancels = atomic_load(&l->cancels);
    for (int p = 0; p < PRODUCERS; p++) {
        uint32_t put = atomic_load(&l->put[p]);
        r->put += (long)put;
        for (uint32_t n = 0; n < put; n++) r->missing += atomic_load(&l->seen[p][n]) == 0;
    }
    r->got = atomic_load(&l->got);
    long small = atomic_load(&l->small_put) - atomic_load(&l->small_got);
    if (small > 0) r->missing += small; /* fewer put than got: a putter died before it could write down that it had */
    bool calm = all_is_well(s);         /* else consumers may have left messages */
    spork_status status = spork_queue_join(s->queue, calm ? harness_patience_ms() : 0);
    if (status == SPORK_OWNER_DIED)
        sscanf(strstr(spork_error(), "all is done but ") + strlen("all is done but "), "%u", &r->lost);
    else if (status != SPORK_OK && calm)
        tally_fault_add(&l->faults, status == SPORK_TIMEOUT ? TALLY_HUNG : TALLY_WRONG, "join: %s", spork_error());
    bury(s);
    r->left = (unsigned)spork_queue_size(s->queue);
    r->extents = (unsigned)spork__queue_tidy(s->queue);
    r->longest = (double)atomic_load(&l->longest_us) / 1e6;
    if (r->violations == 0) memcpy(r->first, l->faults.first, sizeof r->first);
    for (int f = 0; f < TALLY_FAULTS; f++) r->faults[f] += atomic_load(&l->faults.counts[f]);
    r->violations += atomic_load(&l->faults.total);
}

unsigned queue_troubles_here(void)
{
    unsigned everywhere = QUEUE_EXITS;
    return everywhere | (cancels_there_are() ? QUEUE_STOPS | QUEUE_CANCELS | QUEUE_ZOMBIES : 0u);
}

queue_result queue_storm(const queue_plan *plan)
{
    storm *s = calloc(1, sizeof *s);
    if (s == NULL) abort();
    s->plan = plan;
    s->random = plan->seed;
    SPORK_MUST(spork__os_block_new(&s->memory, sizeof(ledger)));
    s->ledger = s->memory.data;
    s->ledger->middling = plan->capacity > SEVERAL ? 200000 : 4096;
    s->block = harness_wrap(s->memory.handle);
    s->queue = spork_queue_new(plan->most, plan->capacity != 0 ? plan->capacity : CAPACITY);
    if (s->queue == NULL) abort();
    spork__plant(plan->bug); /* here too: this process may be the one that takes over from a dead one */
    rage(s);
    let_all_go_on(s);
    calm_down(s);
    take_stock(s);
    spork__plant(SPORK__BUG_NONE);
    queue_result result = s->result;
    spork_queue_free(s->queue);
    harness_end_detach(s->block);
    spork__os_block_free(&s->memory);
    free(s);
    return result;
}
