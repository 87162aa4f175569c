#include "sync_storm.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "platform.h"
#include "sync.h"
#include "tree.h"

enum { OF_EACH = 3 }; /* in a mixture */

/* What they share. */
typedef struct ledger {
    _Atomic bool stop;
    tally_ledger faults;
    volatile long one, other; /* the lock keeps them equal */
    _Atomic long locked, recovered, permits, items, met, broken, woken;
    _Atomic uint64_t holder[SYNC_MOST];              /* who has a permit << 32 | the how many-th; 0: it has none */
    _Atomic long setting[SYNC_MOST], set[SYNC_MOST]; /* how often each was about to set the event, and had */
    volatile int item;                               /* the condition's: there is one */
    _Atomic bool waits[SYNC_MOST];
} ledger;

typedef struct tools {
    ledger *ledger;
    spork_lock *lock;
    spork_semaphore *permits;
    spork_event *event;
    spork_condition *condition;
    spork_barrier *barrier;
    int place, patience_ms;
} tools;

static void use_lock(const tools *t)
{
    ledger *l = t->ledger;
    spork_status status = spork_lock_acquire(t->lock, t->patience_ms);
    if (status == SPORK_OK && l->one != l->other)
        tally_fault_add(&l->faults, TALLY_TORN, "%ld and %ld, but nobody was told of a death", l->one, l->other);
    if (status == SPORK_OWNER_DIED && (status = spork_lock_recover(t->lock, t->patience_ms)) == SPORK_OK) {
        l->other = l->one;
        atomic_fetch_add(&l->recovered, 1);
    }
    if (status == SPORK_BAD_STATE) return;  /* another was quicker to recover it */
    if (status == SPORK_OWNER_DIED) return; /* … and died with it, too */
    if (status != SPORK_OK) {
        tally_status(&l->faults, status);
        return;
    }
    l->one++;
    if (atomic_fetch_add(&l->locked, 1) % 256 == 0) spork__os_nap(); /* else hardly anybody would die in here */
    l->other++;
    status = spork_lock_release(t->lock);
    if (status != SPORK_OK) tally_status(&l->faults, status);
}

/* Whether no more have one than there are. The dead do not count: theirs may have been given on. */
static void check_holders(const tools *t)
{
    int living = 0;
    uint64_t seen[SYNC_MOST];
    for (int i = 0; i < SYNC_MOST; i++) seen[i] = atomic_load(&t->ledger->holder[i]);
    for (int i = 0; i < SYNC_MOST; i++)
        if (seen[i] != atomic_load(&t->ledger->holder[i])) return; /* not all of these were at the same moment */
    for (int i = 0; i < SYNC_MOST; i++) living += seen[i] != 0 && spork__tree_alive((uint32_t)(seen[i] >> 32));
    if (living > SYNC_PERMITS) tally_fault_add(&t->ledger->faults, TALLY_DUPLICATED, "%d have a permit", living);
}

static void use_permit(const tools *t)
{
    spork_status status = spork_semaphore_acquire(t->permits, t->patience_ms);
    if (status != SPORK_OK) {
        tally_status(&t->ledger->faults, status);
        return;
    }
    long use = atomic_fetch_add(&t->ledger->permits, 1);
    atomic_store(&t->ledger->holder[t->place], (uint64_t)spork__tree_self() << 32 | (uint32_t)use);
    if (use % 256 == 0) {
        spork__os_nap(); /* else hardly anybody would die with one */
        check_holders(t);
    }
    atomic_store(&t->ledger->holder[t->place], 0);
    status = spork_semaphore_release(t->permits);
    if (status != SPORK_OK) tally_status(&t->ledger->faults, status);
}

/* Held, or there is nothing more to do. */
static bool enter(const tools *t, spork_status status)
{
    while (status == SPORK_OWNER_DIED) {
        status = spork_condition_recover(t->condition, t->patience_ms); /* an item is there or not: nothing to repair */
        if (status == SPORK_BAD_STATE) status = spork_condition_acquire(t->condition, t->patience_ms);
    }
    if (status != SPORK_OK) tally_status(&t->ledger->faults, status);
    return status == SPORK_OK;
}

static void consume(const tools *t)
{
    ledger *l = t->ledger;
    if (!enter(t, spork_condition_acquire(t->condition, t->patience_ms))) return;
    while (l->item == 0 && !l->stop) {
        atomic_store(&l->waits[t->place], true);
        spork_status status = spork_condition_wait(t->condition, SPORK_FOREVER);
        atomic_store(&l->waits[t->place], false);
        if (!enter(t, status)) return;
    }
    if (l->item != 0) {
        atomic_fetch_add(&l->items, 1);
        l->item = 0;
    }
    spork_status status = spork_condition_release(t->condition);
    if (status != SPORK_OK) tally_status(&l->faults, status);
}

static int act(void *user)
{
    (void)user;
    return 0;
}

static void meet(const tools *t)
{
    ledger *l = t->ledger;
    spork_status status = spork_barrier_wait_then(t->barrier, act, NULL, NULL, t->patience_ms);
    if (status == SPORK_OK)
        atomic_fetch_add(&l->met, 1);
    else if (status == SPORK_BROKEN) {
        atomic_fetch_add(&l->broken, 1);
        spork_sleep(5); /* somebody will be there in his stead */
        if (!l->stop && spork_barrier_broken(t->barrier)) spork_barrier_reset(t->barrier);
    } else
        tally_status(&l->faults, status);
}

static void set_event(const tools *t)
{
    ledger *l = t->ledger;
    atomic_fetch_add(&l->setting[t->place], 1);
    spork_status status = spork_event_set(t->event);
    atomic_store(&l->set[t->place], atomic_load(&l->setting[t->place]));
    if (status != SPORK_OK) tally_status(&l->faults, status);
    spork__os_nap();
    spork_event_clear(t->event);
    spork__os_nap(); /* else nobody would have to wait */
}

/* Wakes when it is set, and not when it was not. */
static void wait_event(const tools *t)
{
    ledger *l = t->ledger;
    long set[SYNC_MOST];
    bool anybody = false;
    for (int i = 0; i < SYNC_MOST; i++) set[i] = atomic_load(&l->set[i]);
    bool is_set = spork_event_is_set(t->event);
    spork_status status = spork_event_wait(t->event, t->patience_ms);
    for (int i = 0; i < SYNC_MOST; i++) anybody = anybody || atomic_load(&l->setting[i]) > set[i];
    if (status == SPORK_OK && !is_set && !anybody)
        tally_fault_add(&l->faults, TALLY_WRONG, "an event was waited for, and nobody had set it");
    if (status == SPORK_OK)
        atomic_fetch_add(&l->woken, 1);
    else
        tally_status(&l->faults, status);
    if (is_set) spork__os_nap(); /* until somebody clears it */
}

static int target_sync_storm(const spork_args *args)
{
    tools t;
    spork_shm *shm;
    int which, point, nth, bug;
    if (spork_unpack(args, &shm, &t.lock, &t.permits, &t.event, &t.condition, &t.barrier, &t.place, &which, &point,
                     &nth, &bug, &t.patience_ms) != SPORK_OK)
        return 1;
    t.ledger = spork_shm_data(shm);
    spork__plant((spork__bug)bug);
    if (point != SPORK__POINT_NONE) spork__point_arm((spork__point)point, nth);
    if (which != SYNC_PARTY) spork_barrier_free(t.barrier); /* not expected there */
    while (!t.ledger->stop) {
        if (which == SYNC_LOCKER || which == SYNC_LOCK) use_lock(&t);
        if (which == SYNC_LOCKER || which == SYNC_PERMIT) use_permit(&t);
        if (which == SYNC_CONSUMER) consume(&t);
        if (which == SYNC_PARTY) meet(&t);
        if (which == SYNC_EVENT) (t.place % 2 == 0 ? set_event : wait_event)(&t);
    }
    spork__point_arm(SPORK__POINT_NONE, 0); /* who ends by itself does so wholly */
    return 0;
}

typedef struct storm {
    const sync_plan *plan;
    sync_result result;
    tools tools;
    spork_shm *shm;
    int count;
    spork_process *places[SYNC_MOST];
    spork__point armed[SYNC_MOST];
    double started[SYNC_MOST];
    spork__point next;
    unsigned random;
    int turn;
} storm;

static unsigned next_random(storm *s)
{
    s->random = s->random * 1664525u + 1013904223u;
    return s->random >> 8;
}

static sync_role role_of(const storm *s, int place)
{
    return s->plan->count > 0 ? s->plan->role : (sync_role)(place / OF_EACH);
}

static bool between(spork__point point, spork__point first, spork__point last)
{
    return point >= first && point <= last;
}

/* Which points of the code a role comes by. */
static bool comes_by(sync_role r, spork__point point)
{
    bool word = between(point, SPORK__AT_ROBUST_TAKEN, SPORK__AT_ROBUST_RELEASED);
    bool bell = between(point, SPORK__AT_BELL_ANNOUNCED, SPORK__AT_BELL_CLAIMED);
    switch (r) {
    case SYNC_LOCKER: return between(point, SPORK__AT_MUTEX_TORN, SPORK__AT_SEMAPHORE_FREED);
    case SYNC_LOCK: return word || between(point, SPORK__AT_MUTEX_TORN, SPORK__AT_MUTEX_WHOLE);
    case SYNC_PERMIT: return word || bell || between(point, SPORK__AT_SEMAPHORE_NOTED, SPORK__AT_SEMAPHORE_FREED);
    case SYNC_EVENT: return bell || point == SPORK__AT_EVENT_SET;
    case SYNC_CONSUMER: return between(point, SPORK__AT_CONDITION_ENTERED, SPORK__AT_CONDITION_PASSED);
    default: return between(point, SPORK__AT_BARRIER_ARRIVED, SPORK__AT_BARRIER_ACTING);
    }
}

static spork__point point_for(storm *s, sync_role r)
{
    for (int tries = 0; tries < SPORK__POINTS; tries++) {
        spork__point point = s->next;
        s->next = s->next >= s->plan->last ? s->plan->first : (spork__point)(s->next + 1);
        if (comes_by(r, point)) return point;
    }
    return SPORK__POINT_NONE;
}

static bool start(storm *s, int i)
{
    s->armed[i] = SPORK__POINT_NONE;
    if (s->plan->first != SPORK__POINT_NONE && next_random(s) % 8 != 0) s->armed[i] = point_for(s, role_of(s, i));
    const tools *t = &s->tools;
    spork_args args = spork_pack(s->shm, t->lock, t->permits, t->event, t->condition, t->barrier, i, (int)role_of(s, i),
                                 (int)s->armed[i], (int)(next_random(s) % 4 + 1), (int)s->plan->bug, t->patience_ms);
    s->places[i] = spork_process_new(target_sync_storm, args);
    s->started[i] = spork_time();
    return spork_process_start(s->places[i]) == SPORK_OK;
}

static void bury(storm *s, int i)
{
    if (spork_process_join(s->places[i], harness_patience_ms()) != SPORK_OK) {
        tally_fault_add(&s->tools.ledger->faults, TALLY_HUNG, "process %d does not end",
                        spork_process_pid(s->places[i]));
        spork_process_kill(s->places[i]);
        spork_process_join(s->places[i], harness_patience_ms());
    }
    if (spork_process_exitcode(s->places[i]) == -9) {
        s->result.deaths++;
        s->result.at[s->armed[i]]++;
    } else if (spork_process_exitcode(s->places[i]) != 0)
        tally_fault_add(&s->tools.ledger->faults, TALLY_WRONG, "a process ended by %d",
                        spork_process_exitcode(s->places[i]));
    atomic_store(&s->tools.ledger->set[i], atomic_load(&s->tools.ledger->setting[i]));
    spork_process_free(s->places[i]);
    s->places[i] = NULL;
}

static bool item_is_taken(void *user) { return ((storm *)user)->tools.ledger->item == 0; }

static bool any_consumer_lives(const storm *s)
{
    for (int i = 0; i < s->count; i++)
        if (role_of(s, i) == SYNC_CONSUMER && spork_process_is_alive(s->places[i])) return true;
    return false;
}

/* One item, which one of those who wait has to take: nobody is replaced meanwhile. False: nobody did. */
static bool post(storm *s)
{
    const tools *t = &s->tools;
    bool anybody = false;
    if (!enter(t, spork_condition_acquire(t->condition, t->patience_ms))) return false;
    t->ledger->item = 1;
    spork_condition_notify(t->condition, 1);
    spork_condition_release(t->condition);
    double until = spork_time() + t->patience_ms / 1000.0;
    while (!item_is_taken(s) && spork_time() < until && any_consumer_lives(s)) spork_sleep(1);
    if (item_is_taken(s)) return true;
    for (int i = 0; i < s->count; i++)
        anybody = anybody || (spork_process_is_alive(s->places[i]) && atomic_load(&t->ledger->waits[i]));
    if (anybody)
        tally_fault_add(&t->ledger->faults, TALLY_HUNG,
                        "an item is there, and somebody who waits for it was not woken");
    return !anybody; /* all have died: their successors will take it */
}

static bool has_consumers(const storm *s) { return s->plan->count == 0 || s->plan->role == SYNC_CONSUMER; }

/* Not every point comes by when others die early. */
static void kill_those_whose_point_does_not_come(storm *s)
{
    if (++s->turn % 40 == 0 && s->plan->count == 0) spork_process_kill(s->places[next_random(s) % (unsigned)s->count]);
    for (int i = 0; i < s->count && s->plan->count > 0; i++)
        if (spork_time() - s->started[i] > (harness_wine() ? 5 : 0.3) && spork_process_is_alive(s->places[i])) {
            s->armed[i] = SPORK__POINT_NONE;
            spork_process_kill(s->places[i]);
        }
}

static void storm_loop(storm *s)
{
    harness_budget deaths = s->plan->deaths;
    while (atomic_load(&s->tools.ledger->faults.total) == 0 && harness_goes_on(&deaths, s->result.deaths)) {
        if (s->plan->first == SPORK__POINT_NONE) {
            spork_sleep((int)(next_random(s) % 4));
            spork_process_kill(s->places[next_random(s) % (unsigned)s->count]);
        } else
            kill_those_whose_point_does_not_come(s);
        if (!has_consumers(s))
            spork__os_nap();
        else if (!post(s))
            return;
        for (int i = 0; i < s->count; i++)
            if (!spork_process_is_alive(s->places[i])) {
                bury(s, i);
                atomic_store(&s->tools.ledger->waits[i], false);
                if (!start(s, i)) tally_fault_add(&s->tools.ledger->faults, TALLY_WRONG, "%s", spork_error());
            }
    }
}

static void end_all(storm *s)
{
    ledger *l = s->tools.ledger;
    l->stop = true;
    spork_barrier_abort(s->tools.barrier);
    if (enter(&s->tools, spork_condition_acquire(s->tools.condition, s->tools.patience_ms))) {
        spork_condition_notify_all(s->tools.condition);
        spork_condition_release(s->tools.condition);
    }
    for (int n = 0; n < s->count; n++) {
        int i = n < (s->count + 1) / 2 ? 2 * n
                                       : 2 * (n - (s->count + 1) / 2) + 1; /* those who set and clear the event first */
        if (i == 1) {
            atomic_fetch_add(&l->setting[0], 1);
            spork_event_set(s->tools.event);
        }
        if (atomic_load(&l->faults.total) > 0) spork_process_kill(s->places[i]);
        bury(s, i);
    }
}

sync_result sync_storm(const sync_plan *plan)
{
    storm s;
    memset(&s, 0, sizeof s);
    s.plan = plan;
    s.random = plan->seed;
    s.next = plan->first;
    s.count = plan->count > 0 ? plan->count : 3 * OF_EACH;
    s.shm = spork_shm_new(sizeof(ledger));
    s.tools = (tools){
        .ledger = spork_shm_data(s.shm),
        .lock = spork_lock_new(),
        .permits = spork_semaphore_new(SYNC_PERMITS, SYNC_PERMITS),
        .event = spork_event_new(),
        .condition = spork_condition_new(),
        .barrier = spork_barrier_new(plan->count > 0 && plan->role == SYNC_PARTY ? (unsigned)plan->count : OF_EACH),
        .patience_ms = plan->patience_ms};
    bool fine = s.tools.barrier != NULL && s.tools.ledger != NULL;
    for (int i = 0; i < s.count && fine; i++) fine = start(&s, i);
    if (fine) {
        storm_loop(&s);
        end_all(&s);
        /* What the dead held comes back to who asks for all there is. */
        while (spork_semaphore_acquire(s.tools.permits, 200) == SPORK_OK) s.result.free_permits++;
        ledger *l = s.tools.ledger;
        s.result.violations = l->faults.total;
        for (int f = 0; f < TALLY_FAULTS; f++) s.result.faults[f] = l->faults.counts[f];
        memcpy(s.result.first, l->faults.first, sizeof l->faults.first);
        s.result.locked = l->locked;
        s.result.recovered = l->recovered;
        s.result.permits = l->permits;
        s.result.items = l->items;
        s.result.met = l->met;
        s.result.broken = l->broken;
        s.result.woken = l->woken;
    } else {
        s.result.violations = s.result.faults[TALLY_WRONG] = 1;
        snprintf(s.result.first, sizeof s.result.first, "%s", spork_error());
    }
    spork_barrier_free(s.tools.barrier);
    spork_condition_free(s.tools.condition);
    spork_event_free(s.tools.event);
    spork_semaphore_free(s.tools.permits);
    spork_lock_free(s.tools.lock);
    spork_shm_free(s.shm);
    return s.result;
}

/* ---- owners that die ---- */

typedef struct owners {
    _Atomic bool stop;
    _Atomic long held, repaired, stuck;
    volatile long one, other;
} owners;

static int target_owner(const spork_args *args)
{
    spork_lock *lock;
    spork_shm *shm;
    if (spork_unpack(args, &lock, &shm) != SPORK_OK) return 1;
    owners *o = spork_shm_data(shm);
    spork_status status;
    while ((status = spork_lock_acquire(lock, harness_patience_ms())) == SPORK_OWNER_DIED)
        spork_sleep(1); /* the waiters repair it */
    if (status != SPORK_OK) return 2;
    o->one++;
    atomic_fetch_add(&o->held, 1);
    spork_sleep(SPORK_FOREVER); /* here it is killed */
    return 0;
}

static int target_lock_waiter(const spork_args *args)
{
    spork_lock *lock;
    spork_shm *shm;
    if (spork_unpack(args, &lock, &shm) != SPORK_OK) return 1;
    owners *o = spork_shm_data(shm);
    while (!o->stop) {
        spork_status status = spork_lock_acquire(lock, harness_patience_ms());
        if (status == SPORK_OWNER_DIED && (status = spork_lock_recover(lock, harness_patience_ms())) == SPORK_OK) {
            o->other = o->one;
            atomic_fetch_add(&o->repaired, 1);
        }
        if (status == SPORK_BAD_STATE) continue;
        if (status != SPORK_OK || o->one != o->other) atomic_fetch_add(&o->stuck, 1);
        if (status == SPORK_OK) spork_lock_release(lock);
        spork_sleep(1);
    }
    return 0;
}

bool sync_owners_die(harness_budget deaths, int waiters, long *died, long *repaired)
{
    enum { MOST = 16 };
    spork_process *waiting[MOST];
    spork_shm *shm = spork_shm_new(sizeof(owners));
    spork_lock *lock = spork_lock_new();
    owners *o = spork_shm_data(shm);
    bool fine = o != NULL && lock != NULL && waiters <= MOST;
    for (int i = 0; i < waiters && fine; i++) {
        waiting[i] = spork_process_new(target_lock_waiter, spork_pack(lock, shm));
        fine = spork_process_start(waiting[i]) == SPORK_OK;
    }
    *died = 0;
    for (int i = 0; fine && harness_goes_on(&deaths, i); i++) {
        spork_process *owner = spork_process_new(target_owner, spork_pack(lock, shm));
        fine = spork_process_start(owner) == SPORK_OK;
        for (double until = spork_time() + harness_patience_ms() / 1000.0;
             fine && o->held == i && spork_time() < until;)
            spork_sleep(0);
        fine = fine && o->held == i + 1 && spork_process_kill(owner) == SPORK_OK &&
               spork_process_join(owner, harness_patience_ms()) == SPORK_OK;
        for (double until = spork_time() + harness_patience_ms() / 1000.0;
             fine && o->repaired == i && spork_time() < until;)
            spork_sleep(0);
        fine = fine && o->repaired == i + 1 && o->stuck == 0;
        *died += fine;
        spork_process_free(owner);
    }
    if (o != NULL) o->stop = true;
    for (int i = 0; i < waiters; i++) {
        fine = spork_process_join(waiting[i], harness_patience_ms()) == SPORK_OK &&
               spork_process_exitcode(waiting[i]) == 0 && fine;
        spork_process_free(waiting[i]);
    }
    *repaired = o != NULL ? o->repaired : 0;
    spork_lock_free(lock);
    spork_shm_free(shm);
    return fine;
}

int target_meet(const spork_args *args)
{
    spork_barrier *barrier;
    bool comes;
    if (spork_unpack(args, &barrier, &comes) != SPORK_OK) return 1;
    if (comes) return spork_barrier_wait(barrier, NULL, SPORK_FOREVER) == SPORK_OK ? 0 : 2;
    spork_sleep(SPORK_FOREVER);
    return 0;
}

bool sync_is_expected(const spork_barrier *barrier) { return spork__barrier_expected(barrier) > 0; }
