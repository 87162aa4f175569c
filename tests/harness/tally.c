#include "tally.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

static const char *const fault_names[] = {"torn", "duplicated", "hung", "leaked", "wrong"};

static const char *const point_names[SPORK__POINTS] = {
    [SPORK__POINT_NONE] = "anywhere",
    [SPORK__AT_ROBUST_TAKEN] = "lock word: taken",
    [SPORK__AT_ROBUST_RELEASING] = "lock word: about to release",
    [SPORK__AT_ROBUST_RESERVED] = "lock word: starving, said so",
    [SPORK__AT_ROBUST_ANNOUNCED] = "lock word: about to sleep",
    [SPORK__AT_ROBUST_WOKEN] = "lock word: woken",
    [SPORK__AT_ROBUST_TAKEN_LATE] = "lock word: taken after a sleep",
    [SPORK__AT_ROBUST_FOUND_DEAD] = "lock word: owner found dead",
    [SPORK__AT_ROBUST_TAKEN_OVER] = "lock word: taken over",
    [SPORK__AT_ROBUST_RELEASED] = "lock word: released, nobody woken",
    [SPORK__AT_BELL_ANNOUNCED] = "bell: about to sleep",
    [SPORK__AT_BELL_WOKEN] = "bell: woken",
    [SPORK__AT_BELL_CLAIMED] = "bell: mark taken, nobody woken",
    [SPORK__AT_ARENA_LOCKED] = "arena: locked",
    [SPORK__AT_ARENA_WRITTEN] = "arena: extent written, no owner",
    [SPORK__AT_ARENA_TAKEN] = "arena: extent taken",
    [SPORK__AT_ARENA_FREEING] = "arena: freeing",
    [SPORK__AT_RING_PUT_LOCKED] = "put: locked",
    [SPORK__AT_RING_PUT_WRITTEN] = "put: written, index not moved",
    [SPORK__AT_RING_PUT_HANDED] = "put: extent handed to the ring",
    [SPORK__AT_RING_PUT_COMMITTED] = "put: index moved, still locked",
    [SPORK__AT_RING_PUT_UNLOCKED] = "put: unlocked, nobody woken",
    [SPORK__AT_RING_GET_LOCKED] = "get: locked",
    [SPORK__AT_RING_GET_NOTED] = "get: in hands, index not moved",
    [SPORK__AT_RING_GET_COMMITTED] = "get: index moved, extent the ring's",
    [SPORK__AT_RING_GET_HANDED] = "get: extent handed over, still locked",
    [SPORK__AT_RING_GET_UNLOCKED] = "get: unlocked, nobody woken",
    [SPORK__AT_RING_TIME_OVER] = "ring: time is over",
    [SPORK__AT_QUEUE_EMPTY] = "join: ring empty",
    [SPORK__AT_QUEUE_CLOSING] = "queue: closing, nobody told",
    [SPORK__AT_MUTEX_TORN] = "lock: taken over, others told",
    [SPORK__AT_MUTEX_WHOLE] = "lock: about to release",
    [SPORK__AT_SEMAPHORE_NOTED] = "permit: noted, not counted",
    [SPORK__AT_SEMAPHORE_RETURNED] = "permit: given up, not counted",
    [SPORK__AT_SEMAPHORE_FREED] = "permit: free, nobody woken",
    [SPORK__AT_EVENT_SET] = "event: set, nobody woken",
    [SPORK__AT_CONDITION_ENTERED] = "condition: among the waiting",
    [SPORK__AT_CONDITION_TOLD] = "condition: one marked, not woken",
    [SPORK__AT_CONDITION_WOKEN] = "condition: woken",
    [SPORK__AT_CONDITION_PASSED] = "condition: a dead one's passed on",
    [SPORK__AT_BARRIER_ARRIVED] = "barrier: arrived, still locked",
    [SPORK__AT_BARRIER_PASSED] = "barrier: passed, nobody woken",
    [SPORK__AT_BARRIER_ACTING] = "barrier: action not run",
    [SPORK__AT_TASK_NOTED] = "task: noted",
    [SPORK__AT_START_TIME_OVER] = "start: its time is over",
    [SPORK__AT_KEEPER_AWAKE] = "pool: keeper called",
    [SPORK__AT_TASK_TAKEN] = "task: taken, head not moved",
    [SPORK__AT_TASK_DOOMED] = "task: doomed by the owner",
    [SPORK__AT_TASK_RETURNED] = "task: returned",
    [SPORK__AT_TASK_FINISHING] = "task: done, result not written",
    [SPORK__AT_TASK_RESULT] = "task: result written, not done",
    [SPORK__AT_TASK_DONE] = "task: done, not entered",
    [SPORK__AT_TASK_ENTERED] = "task: entered, nobody told",
};

const char *tally_point_name(int point) { return point_names[point]; }

static void add(tally_ledger *l, tally_fault fault, const char *format, va_list args)
{
    atomic_fetch_add(&l->counts[fault], 1);
    if (atomic_fetch_add(&l->total, 1) == 0) vsnprintf(l->first, sizeof l->first, format, args);
}

void tally_fault_add(tally_ledger *ledger, tally_fault fault, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(ledger, fault, format, args);
    va_end(args);
}

void tally_status(tally_ledger *ledger, spork_status status)
{
    tally_fault_add(ledger, status == SPORK_TIMEOUT ? TALLY_HUNG : TALLY_WRONG, "%s: %s", spork_status_name(status),
                    spork_error());
}

tally_books tally_open_books(void)
{
    return (tally_books){spork__allocated(), harness_descriptors(NULL, 0), harness_mappings()};
}

static bool balanced(void *user)
{
    const tally_books *before = user, now = tally_open_books();
    return now.blocks == before->blocks && now.descriptors == before->descriptors && now.mappings == before->mappings &&
           harness_zombies() == 0;
}

static void leak(tally *to, const char *what, long before, long now)
{
    if (now <= before) return;
    to->faults[TALLY_LEAKED] += now - before;
    if (to->first[0] == 0) snprintf(to->first, sizeof to->first, "%ld %s before, %ld after", before, what, now);
}

void tally_close_books(const tally_books *books, tally *to)
{
    tally_books before = *books;
    if (harness_until(balanced, &before)) return;
    const tally_books now = tally_open_books();
    leak(to, "blocks of memory", before.blocks, now.blocks);
    leak(to, "descriptors", before.descriptors, now.descriptors);
    leak(to, "mappings", before.mappings, now.mappings);
    leak(to, "zombies", 0, harness_zombies());
}

long tally_total(const tally *of)
{
    long total = 0;
    for (int f = 0; f < TALLY_FAULTS; f++) total += of->faults[f];
    return total;
}

static void text(FILE *to, const char *key, const char *value)
{
    fprintf(to, "\"%s\": \"", key);
    for (; *value != 0; value++)
        fputc(*value == '"' || *value == '\\' || (unsigned char)*value < ' ' ? '\'' : *value, to);
    fputs("\", ", to);
}

static void phase(FILE *to, const char *name, long kills, bool *first)
{
    if (kills == 0) return;
    fprintf(to, "%s\"%s\": %ld", *first ? "" : ", ", name, kills);
    *first = false;
}

static void line(FILE *to, const tally *of)
{
    bool first = true;
    fputc('{', to);
    text(to, "primitive", of->primitive);
    text(to, "plan", of->plan);
    text(to, "first", of->first);
    for (int f = 0; f < TALLY_FAULTS; f++) fprintf(to, "\"%s\": %ld, ", fault_names[f], of->faults[f]);
    fprintf(to,
            "\"seed\": %u, \"kills\": %ld, \"messages\": %ld, \"tasks\": %ld, \"uses\": %ld, \"lost\": %ld, \"at\": {",
            of->seed, of->kills, of->messages, of->tasks, of->uses, of->lost);
    for (int p = 0; p < SPORK__POINTS; p++) phase(to, point_names[p], of->at[p], &first);
    phase(to, "in its start", of->starting, &first);
    phase(to, "the fork server", of->server, &first);
    fputs("}}\n", to);
}

void tally_report(const tally *of)
{
    const char *path = getenv("SPORK_STORM_REPORT");
    line(stdout, of);
    if (path == NULL) return;
    FILE *to = fopen(path, "a");
    if (to == NULL) return;
    line(to, of);
    fclose(to);
}
