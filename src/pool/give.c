/* Tasks on their way in. What the executor has no room for waits outside, in order, in this process' own memory: nobody who gives a task ever waits for
 * workers, unless there is a bound on what may be pending. */
#include <string.h>

#include "../alloc.h"
#include "../error.h"
#include "../value.h"
#include "front.h"

enum { AT_ONCE = 64 };

static spork_status submit(spork_pool *pool, spork__errand *errand)
{
    const spork__executor_kind *kind = pool->executor->kind;
    bool again = errand->given;
    errand->given = true; /* before: a moment later it may have ended */
    spork_status status = (again ? kind->again : kind->submit)(pool->executor, &errand->job);
    if (status != SPORK_OK) errand->given = again;
    return status;
}

/* The values are the caller's, so they are copied. */
static spork_status take_along(spork_pool *pool, spork__errand *errand)
{
    size_t size;
    spork_future *f = spork__future_of(errand);
    if (errand->is_helper || errand->given || errand->job.bytes != NULL) return SPORK_OK;
    spork_status status = pool->executor->kind->pack(pool->executor, &errand->job, NULL, &size);
    if (status != SPORK_OK) return status;
    if ((f->args = spork__alloc(size, "a task's arguments")) == NULL) return SPORK_NO_MEMORY;
    status = pool->executor->kind->pack(pool->executor, &errand->job, f->args, &size);
    if (status == SPORK_OK) {
        errand->job.bytes = f->args;
        errand->job.size = size;
    }
    return status;
}

static spork_status wait_outside(spork_pool *pool, spork__errand *errand)
{
    spork_status status = take_along(pool, errand);
    if (status != SPORK_OK) return status;
    errand->next = NULL;
    *pool->outside_end = errand;
    pool->outside_end = &errand->next;
    if (atomic_fetch_add(&pool->outside_count, 1) == 0) spork__pool_call_keeper(pool); /* somebody has to let them in */
    return SPORK_OK;
}

/* What was begun goes on after a close. */
static spork_status may_give(const spork_pool *pool, const spork__errand *errand)
{
    return errand->is_helper && atomic_load(&pool->standing) == SPORK__POOL_CLOSED ? SPORK_OK
                                                                                   : spork__pool_is_open(pool);
}

/* Who gives more than there is room for takes what is done, which makes room, before anything waits outside. */
spork_status spork__errand_give(spork_pool *pool, spork__errand *errand)
{
    spork_status status = may_give(pool, errand);
    if (status == SPORK_OK) status = pool->outside == NULL ? submit(pool, errand) : SPORK_TIMEOUT;
    if (status != SPORK_TIMEOUT) return status;
    spork__latch_give(&pool->give);
    spork__pool_take(pool, false);
    spork__latch_take(&pool->give);
    status = may_give(pool, errand);
    if (status == SPORK_OK) status = pool->outside == NULL ? submit(pool, errand) : SPORK_TIMEOUT;
    return status == SPORK_TIMEOUT ? wait_outside(pool, errand) : status;
}

/* Once more: its worker has died. Under `take`. */
void spork__errand_give_again(spork_pool *pool, spork__errand *errand)
{
    spork__latch_take(&pool->give);
    if (submit(pool, errand) != SPORK_OK) wait_outside(pool, errand);
    spork__latch_give(&pool->give);
}

static spork__errand *first_outside(spork_pool *pool)
{
    spork__errand *first = pool->outside;
    if (first == NULL) return NULL;
    pool->outside = first->next;
    if (pool->outside == NULL) pool->outside_end = &pool->outside;
    atomic_fetch_sub(&pool->outside_count, 1);
    return first;
}

static void put_back(spork_pool *pool, spork__errand *errand)
{
    errand->next = pool->outside;
    pool->outside = errand;
    if (errand->next == NULL) pool->outside_end = &errand->next;
    atomic_fetch_add(&pool->outside_count, 1);
}

/* What cannot be let in for another reason than room fails for it. */
spork__errand *spork__errands_move(spork_pool *pool, spork_status *why)
{
    spork__errand *failed = NULL;
    spork__latch_take(&pool->give);
    for (int i = 0; i < AT_ONCE && pool->outside != NULL && failed == NULL; i++) {
        spork__errand *errand = first_outside(pool);
        *why = submit(pool, errand);
        if (*why == SPORK_TIMEOUT) {
            put_back(pool, errand);
            break;
        }
        if (*why == SPORK_OK && !errand->is_helper) {
            spork_future *f = spork__future_of(errand);
            spork__free(f->args);
            f->args = NULL;
            errand->job.bytes = NULL;
        }
        if (*why != SPORK_OK) failed = errand;
    }
    spork__latch_give(&pool->give);
    return failed;
}

bool spork__errand_take_back(spork_pool *pool, spork__errand *errand)
{
    bool found = false;
    spork__latch_take(&pool->give);
    for (spork__errand **at = &pool->outside; *at != NULL && !found; at = &(*at)->next) {
        if (*at != errand) continue;
        *at = errand->next;
        if (pool->outside_end == &errand->next) pool->outside_end = at;
        atomic_fetch_sub(&pool->outside_count, 1);
        found = true;
        break;
    }
    spork__latch_give(&pool->give);
    return found;
}

spork__errand *spork__errands_empty(spork_pool *pool)
{
    spork__latch_take(&pool->give);
    spork__errand *errand = first_outside(pool);
    spork__latch_give(&pool->give);
    return errand;
}
