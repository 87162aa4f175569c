#include "grounds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "bell.h"
#include "robust.h"

enum { WORKERS = 8, WINDOW = 1, ROOM = 64 * SPORK__ARENA_UNIT, LARGEST = 20 * SPORK__ARENA_UNIT };

/* What the processes share. */
typedef struct ground {
    _Alignas(128) spork__robust lock;
    _Alignas(128) spork__bell made_bell;
    _Alignas(128) spork__bell taken_bell;
    _Alignas(128) _Atomic uint32_t inside; /* the participant that is in the locked section */
    uint64_t one, other;                   /* alike but in there */
    _Alignas(128) _Atomic uint64_t made, taken;
    _Atomic bool stop;
    _Atomic long work[WORKERS], owner_died;
    tally_ledger faults;
} ground;

/* A process' view of it. */
typedef struct view {
    ground *ground;
    spork_native lock_berth, made_berth, taken_berth, arena_berth;
    spork__block block;
    spork__arena arena;
    int index;
    unsigned random;
} view;

static size_t round_up(size_t size, size_t to) { return (size + to - 1) / to * to; }
static size_t table_offset(void) { return round_up(sizeof(ground), 128); }
static size_t fixed_size(void) { return round_up(table_offset() + spork__arena_table_size(), 65536); }

static bool look_at(view *v, bool make)
{
    v->ground = v->block.data;
    v->arena = (spork__arena){.block = &v->block,
                              .table = (spork__arena_table *)((char *)v->block.data + table_offset()),
                              .offset = fixed_size(),
                              .size = ROOM,
                              .berth = v->arena_berth};
    return spork__arena_open(&v->arena, make) == SPORK_OK;
}

static unsigned next_random(view *v)
{
    v->random = v->random * 1664525u + 1013904223u;
    return v->random >> 8;
}

/* Mostly nothing, now and then long enough for others to sleep, rarely for them to starve. */
static void dawdle(view *v)
{
    unsigned dice = next_random(v) % 1000;
    if (dice == 0)
        spork_sleep(12);
    else if (dice < 30)
        spork_sleep(1);
    else
        for (volatile unsigned n = next_random(v) % 300; n > 0; n--) {}
}

/* ---- the work ---- */

static void work_locked(view *v)
{
    ground *g = v->ground;
    uint32_t me = spork__tree_self();
    int timeout_ms = next_random(v) % 8 == 0 ? (int)(next_random(v) % 20) : SPORK_FOREVER;
    spork_status status = spork__robust_acquire(&g->lock, v->lock_berth, timeout_ms);
    if (status == SPORK_TIMEOUT && timeout_ms >= 0) return;
    if (status != SPORK_OK && status != SPORK_OWNER_DIED) {
        tally_fault_add(&v->ground->faults, TALLY_WRONG, "acquire: %s, %s", spork_status_name(status), spork_error());
        return;
    }
    uint32_t inside = atomic_load(&g->inside);
    if (status == SPORK_OWNER_DIED) {
        atomic_fetch_add(&g->owner_died, 1);
        if (inside != 0 && spork__tree_alive(inside))
            tally_fault_add(&v->ground->faults, TALLY_DUPLICATED, "the lock was taken from a living owner");
        g->other = g->one;
    } else if (inside != 0) {
        bool two = spork__tree_alive(inside);
        tally_fault_add(&v->ground->faults, two ? TALLY_DUPLICATED : TALLY_TORN,
                        two ? "two have the lock" : "a death was not told");
    } else if (g->one != g->other) {
        tally_fault_add(&v->ground->faults, TALLY_TORN, "what the last owner wrote is not seen");
    }
    atomic_store(&g->inside, me);
    g->one++;
    dawdle(v);
    g->other++;
    if (atomic_load(&g->inside) != me) tally_fault_add(&v->ground->faults, TALLY_DUPLICATED, "another came in");
    atomic_store(&g->inside, 0);
    if (spork__robust_release(&g->lock, v->lock_berth) != SPORK_OK)
        tally_fault_add(&v->ground->faults, TALLY_WRONG, "the lock was lost while it was held");
    atomic_fetch_add(&g->work[v->index], 1);
    dawdle(v); /* outside */
    if (next_random(v) % 64 == 0 && spork__robust_release(&g->lock, v->lock_berth) == SPORK_OK)
        tally_fault_add(&v->ground->faults, TALLY_WRONG, "a lock was released that was not held");
}

static spork__ear ear_at(spork_native berth) { return (spork__ear){berth, {SPORK__NO_HANDLE, SPORK__NO_HANDLE}}; }

static void ring(spork__bell *bell, spork_native berth)
{
    spork__ear ear = ear_at(berth);
    spork__bell_ring(bell, &ear);
}

/* Advances `mine`, which must stay within `window` behind `other`'s; sleeps until it can. */
static bool advance(view *v, _Atomic uint64_t *mine, _Atomic uint64_t *other, uint64_t window, spork__bell *bell,
                    spork_native berth)
{
    for (;;) {
        uint64_t at = atomic_load(mine);
        if (atomic_load(&v->ground->stop)) return false;
        if (at < atomic_load(other) + window) {
            if (atomic_compare_exchange_strong(mine, &at, at + 1)) return true;
            continue;
        }
        uint32_t ticket = spork__bell_announce(bell);
        if (atomic_load(mine) < atomic_load(other) + window) continue;
        spork__ear ear = ear_at(berth);
        spork__bell_sleep(bell, &ear, ticket, SPORK_FOREVER);
    }
}

static void work_signalled(view *v, bool maker)
{
    ground *g = v->ground;
    dawdle(v);
    if (maker) {
        if (!advance(v, &g->made, &g->taken, WINDOW, &g->taken_bell, v->taken_berth)) return;
        ring(&g->made_bell, v->made_berth);
    } else {
        if (!advance(v, &g->taken, &g->made, 0, &g->made_bell, v->made_berth)) return;
        ring(&g->taken_bell, v->taken_berth);
    }
    atomic_fetch_add(&g->work[v->index], 1);
}

static void work_with_room(view *v)
{
    uint32_t extent = SPORK__ARENA_NONE, me = spork__tree_self();
    size_t wanted = 1 + next_random(v) % LARGEST, size;
    spork_status status = spork__arena_take(&v->arena, wanted, &extent);
    if (status == SPORK_TIMEOUT) { /* full: of the living */
        spork_sleep(1);
        return;
    }
    unsigned char *at = status == SPORK_OK ? spork__arena_data(&v->arena, extent, &size) : NULL;
    if (at == NULL || size < wanted) {
        tally_fault_add(&v->ground->faults, TALLY_WRONG, "take: %s, %s", spork_status_name(status), spork_error());
        return;
    }
    unsigned char pattern = (unsigned char)(next_random(v) | 1);
    memset(at, pattern, size);
    dawdle(v);
    for (size_t i = 0; i < size; i++)
        if (at[i] != pattern) {
            tally_fault_add(&v->ground->faults, TALLY_TORN, "two have byte %zu of extent %u", i, extent);
            break;
        }
    if (!spork__arena_free(&v->arena, extent, me))
        tally_fault_add(&v->ground->faults, TALLY_WRONG, "an extent was lost while it was held");
    atomic_fetch_add(&v->ground->work[v->index], 1);
}

static int worker(const spork_args *args)
{
    harness_end *block, *berths[4];
    int kind, index, point, nth, bug;
    bool has_berths;
    view v;
    memset(&v, 0, sizeof v);
    if (spork_unpack(args, harness_take(&block), harness_take(&berths[0]), harness_take(&berths[1]),
                     harness_take(&berths[2]), harness_take(&berths[3]), &has_berths, &kind, &index, &point, &nth, &bug,
                     &v.random) != SPORK_OK)
        return 100;
    v.index = index;
    spork_native natives[4];
    for (int i = 0; i < 4; i++) natives[i] = has_berths ? harness_end_native(berths[i]) : SPORK__NO_HANDLE;
    v.lock_berth = natives[0], v.made_berth = natives[1], v.taken_berth = natives[2], v.arena_berth = natives[3];
    if (spork__os_block_open(&v.block, harness_end_native(block), 0) != SPORK_OK || !look_at(&v, false)) {
        fprintf(stderr, "%s\n", spork_error());
        return 101;
    }
    spork__plant((spork__bug)bug);
    spork__point_arm((spork__point)point, nth);
    while (!atomic_load(&v.ground->stop)) switch (kind) {
        case GROUND_ROBUST: work_locked(&v); break;
        case GROUND_BELL: work_signalled(&v, index % 2 == 0); break;
        default: work_with_room(&v);
        }
    spork__point_arm(SPORK__POINT_NONE, 0); /* whoever ends by itself does so wholly */
    return 0;
}

/* ---- the storm ---- */

typedef struct storm {
    const ground_plan *plan;
    ground_result result;
    view v;
    harness_end *block, *berths[4];
    spork_process *workers[WORKERS];
    int point[WORKERS];
    double started[WORKERS]; /* when */
    double since[WORKERS];   /* when its work was seen to change */
    long work[WORKERS];
    int next_point;
} storm;

static bool start_worker(storm *s, int index)
{
    const ground_plan *p = s->plan;
    int nth = 1 + (int)(next_random(&s->v) % 30);
    if (s->next_point == SPORK__AT_ROBUST_FOUND_DEAD || s->next_point == SPORK__AT_ROBUST_TAKEN_OVER)
        nth = 1; /* only who meets the dead comes by there */
    if (p->first != SPORK__POINT_NONE) {
        s->point[index] = s->next_point;
        s->next_point = s->next_point == (int)p->last ? (int)p->first : s->next_point + 1;
    }
    s->workers[index] = spork_process_new(
        worker, spork_pack(harness_give(s->block), harness_give(s->berths[0]), harness_give(s->berths[1]),
                           harness_give(s->berths[2]), harness_give(s->berths[3]), s->v.lock_berth != SPORK__NO_HANDLE,
                           (int)p->kind, index, s->point[index], nth, (int)p->bug, next_random(&s->v)));
    s->started[index] = s->since[index] = spork_time();
    if (spork_process_start(s->workers[index]) == SPORK_OK) return true;
    fprintf(stderr, "%s\n", spork_error());
    return false;
}

/* An ended worker is replaced. */
static bool look_after(storm *s, int index)
{
    if (spork_process_is_alive(s->workers[index])) return true;
    spork_process_join(s->workers[index], SPORK_FOREVER);
    int code = spork_process_exitcode(s->workers[index]);
    if (code != -9) {
        snprintf(s->result.first, sizeof s->result.first, "a worker ended with %d", code);
        s->result.violations++;
        s->result.faults[TALLY_WRONG]++;
        return false;
    }
    s->result.deaths++;
    s->result.at[s->point[index]]++;
    spork_process_free(s->workers[index]);
    return start_worker(s, index);
}

static void kill_some(storm *s)
{
    if (s->plan->first == SPORK__POINT_NONE) {
        spork_sleep((int)(next_random(&s->v) % 4));
        spork_process_kill(s->workers[next_random(&s->v) % (unsigned)s->plan->workers]);
        return;
    }
    spork_sleep(1);
    if (s->plan->bug != SPORK__BUG_NONE) return;
    for (int i = 0; i < s->plan->workers; i++) /* not every point comes by when others die early: another is tried */
        if (spork_time() - s->started[i] > 1) {
            s->point[i] = SPORK__POINT_NONE;
            spork_process_kill(s->workers[i]);
        }
}

/* Each of them has to get on. */
static bool all_get_on(storm *s)
{
    double now = spork_time();
    for (int i = 0; i < s->plan->workers; i++) {
        long work = atomic_load(&s->v.ground->work[i]);
        if (work != s->work[i]) s->work[i] = work, s->since[i] = now;
        double pause = now - s->since[i];
        if (pause > s->result.longest_pause) s->result.longest_pause = pause;
        if (pause * 1000 > s->plan->patience_ms) return false;
    }
    return true;
}

static void rage(storm *s)
{
    for (int i = 0; i < s->plan->workers; i++)
        if (!start_worker(s, i)) return;
    harness_budget deaths = s->plan->deaths;
    while (s->result.violations == 0 && atomic_load(&s->v.ground->faults.total) == 0 &&
           harness_goes_on(&deaths, s->result.deaths)) {
        if (!all_get_on(s)) {
            s->result.stuck = true;
            return;
        }
        kill_some(s);
        for (int i = 0; i < s->plan->workers; i++)
            if (!look_after(s, i)) return;
    }
}

/* All end by themselves; those who do not are stuck. */
static void calm_down(storm *s)
{
    atomic_store(&s->v.ground->stop, true);
    ring(&s->v.ground->made_bell, s->v.made_berth);
    ring(&s->v.ground->taken_bell, s->v.taken_berth);
    for (int i = 0; i < s->plan->workers; i++) {
        if (s->workers[i] == NULL) continue;
        if (spork_process_join(s->workers[i], s->result.stuck ? 0 : s->plan->patience_ms) == SPORK_TIMEOUT) {
            s->result.stuck = true;
            spork_process_kill(s->workers[i]);
            spork_process_join(s->workers[i], SPORK_FOREVER);
        }
        spork_process_free(s->workers[i]);
    }
}

static void take_stock(storm *s)
{
    uint64_t bytes;
    ground *g = s->v.ground;
    spork_status status = spork__robust_acquire(&g->lock, s->v.lock_berth, s->plan->patience_ms);
    if (status != SPORK_OK && status != SPORK_OWNER_DIED) s->result.left_over = true;
    spork__robust_release(&g->lock, s->v.lock_berth);
    spork__arena_sweep(&s->v.arena, NULL, NULL);
    if (spork__arena_used(&s->v.arena, &bytes) != 0) s->result.left_over = true;
    for (int i = 0; i < WORKERS; i++) s->result.work += atomic_load(&g->work[i]);
    s->result.owner_died = atomic_load(&g->owner_died);
    if (s->result.violations == 0) memcpy(s->result.first, g->faults.first, sizeof g->faults.first);
    s->result.violations += atomic_load(&g->faults.total);
    for (int f = 0; f < TALLY_FAULTS; f++) s->result.faults[f] += atomic_load(&g->faults.counts[f]);
    s->result.faults[TALLY_HUNG] += s->result.stuck;
    s->result.faults[TALLY_LEAKED] += s->result.left_over;
}

ground_result ground_storm(const ground_plan *plan)
{
    storm *s = calloc(1, sizeof *s);
    if (s == NULL) abort();
    s->plan = plan;
    s->v.random = plan->seed;
    s->next_point = (int)plan->first;
    spork_native *berths[4] = {&s->v.lock_berth, &s->v.made_berth, &s->v.taken_berth, &s->v.arena_berth};
    SPORK_MUST(spork__os_block_new_growing(&s->v.block, fixed_size() + ROOM));
    SPORK_MUST(spork__os_block_commit(&s->v.block, 0, fixed_size()));
    s->block = harness_wrap(s->v.block.handle);
    for (int i = 0; i < 4; i++) {
        SPORK_MUST(spork__os_berth_new(berths[i]));
        s->berths[i] = harness_wrap(*berths[i] != SPORK__NO_HANDLE ? *berths[i] : s->v.block.handle);
    }
    if (look_at(&s->v, true)) rage(s);
    calm_down(s);
    take_stock(s);
    ground_result result = s->result;
    for (int i = 0; i < 4; i++) {
        harness_end_detach(s->berths[i]);
        spork__os_handle_close(*berths[i]);
    }
    harness_end_detach(s->block);
    spork__os_block_free(&s->v.block);
    free(s);
    return result;
}
