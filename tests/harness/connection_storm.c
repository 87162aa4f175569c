#include "connection_storm.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connections.h"

enum { MOST = 1 << 20 };

typedef struct line {
    _Atomic uint32_t sent, got; /* of the pair at hand, which are numbered from 0 */
} line;

typedef struct ledger {
    tally_ledger faults;
    line lines[CONNECTION_PAIRS];
} ledger;

typedef struct head {
    uint32_t number, size;
    uint64_t sum;
} head;

typedef struct view {
    ledger *ledger;
    line *line;
    spork_connection *connection;
    unsigned random;
    int largest;
    bool echo;
    char *buffer;
} view;

static unsigned next_random(unsigned *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

static bool open_view(const spork_args *args, view *v)
{
    spork_shm *shm;
    int pair;
    if (spork_unpack(args, &shm, &v->connection, &pair, &v->random, &v->largest, &v->echo) != SPORK_OK) return false;
    v->ledger = spork_shm_data(shm);
    v->line = &v->ledger->lines[pair];
    v->buffer = malloc(MOST);
    return v->buffer != NULL;
}

/* False: the other side is gone, or all is lost. */
static bool said(view *v, spork_status status)
{
    if (status != SPORK_OK && status != SPORK_CLOSED) tally_status(&v->ledger->faults, status);
    return status == SPORK_OK;
}

static void make_message(view *v, uint32_t number)
{
    unsigned dice = next_random(&v->random) % 8;
    size_t most = dice < 5 ? 200 : dice < 7 ? 5000 : (size_t)v->largest;
    size_t size = sizeof(head) + next_random(&v->random) % (most < (size_t)v->largest ? most : (size_t)v->largest);
    if (size > MOST) size = MOST;
    head h = {number, (uint32_t)size, 0};
    memset(v->buffer + sizeof h, (int)(number * 7 + size), size - sizeof h);
    h.sum = connections_checksum(v->buffer + sizeof h, size - sizeof h);
    memcpy(v->buffer, &h, sizeof h);
}

/* One that is whole, and the one that comes next. */
static bool receive(view *v, uint32_t expected)
{
    size_t size;
    head h;
    ledger *l = v->ledger;
    if (!said(v, spork_connection_recv_bytes(v->connection, v->buffer, MOST, &size, harness_patience_ms())))
        return false;
    memcpy(&h, v->buffer, sizeof h);
    if (size < sizeof h || h.size != size || h.sum != connections_checksum(v->buffer + sizeof h, size - sizeof h))
        tally_fault_add(&l->faults, TALLY_TORN, "a torn message of %zu bytes", size);
    else if (h.number < expected)
        tally_fault_add(&l->faults, TALLY_DUPLICATED, "message %u came again", h.number);
    else if (h.number > expected)
        tally_fault_add(&l->faults, TALLY_WRONG, "message %u came, but not %u", h.number, expected);
    return true;
}

static int sender(const spork_args *args)
{
    view v;
    if (!open_view(args, &v)) return 100;
    for (uint32_t number = 0;; number++) {
        make_message(&v, number);
        uint32_t size;
        memcpy(&size, v.buffer + offsetof(head, size), sizeof size);
        if (!said(&v, spork_connection_send_bytes(v.connection, v.buffer, size, harness_patience_ms()))) break;
        atomic_store(&v.line->sent, number + 1);
        if (v.echo && !receive(&v, number)) break;
    }
    free(v.buffer);
    return 0;
}

static int receiver(const spork_args *args)
{
    view v;
    if (!open_view(args, &v)) return 100;
    for (uint32_t number = 0; receive(&v, number); number++) {
        head h;
        atomic_store(&v.line->got, number + 1);
        memcpy(&h, v.buffer, sizeof h);
        if (v.echo && !said(&v, spork_connection_send_bytes(v.connection, v.buffer, h.size, harness_patience_ms())))
            break;
    }
    free(v.buffer);
    return 0;
}

/* ---- the storm ---- */

typedef struct storm {
    const connection_plan *plan;
    connection_result result;
    spork_shm *shm;
    ledger *ledger;
    struct {
        spork_process *sender, *receiver;
    } pairs[CONNECTION_PAIRS];
    unsigned random;
} storm;

static bool start(storm *s, int i)
{
    const connection_plan *p = s->plan;
    spork_connection *reader, *writer;
    atomic_store(&s->ledger->lines[i].sent, 0);
    atomic_store(&s->ledger->lines[i].got, 0);
    spork_status status = (p->echo ? spork_pipe_duplex : spork_pipe)(&reader, &writer);
    if (status == SPORK_OK) {
        s->pairs[i].receiver = spork_process_new(
            receiver, spork_pack(s->shm, spork_move(reader), i, next_random(&s->random), p->largest, p->echo));
        status = spork_process_start(s->pairs[i].receiver);
    }
    if (status == SPORK_OK) {
        s->pairs[i].sender = spork_process_new(
            sender, spork_pack(s->shm, spork_move(writer), i, next_random(&s->random), p->largest, p->echo));
        status = spork_process_start(s->pairs[i].sender);
    }
    if (status == SPORK_OK) return true;
    tally_status(&s->ledger->faults, status);
    spork_process_kill(s->pairs[i].receiver); /* if it is there */
    spork_process_join(s->pairs[i].receiver, harness_patience_ms());
    spork_process_free(s->pairs[i].receiver);
    spork_process_free(s->pairs[i].sender);
    s->pairs[i].receiver = s->pairs[i].sender = NULL;
    return false;
}

/* Whether it was killed; who was not ends by itself. */
static bool bury(storm *s, spork_process *process, bool killed)
{
    if (spork_process_join(process, 2 * harness_patience_ms()) == SPORK_TIMEOUT) {
        tally_fault_add(&s->ledger->faults, TALLY_HUNG, "the other one was killed, and this one does not end");
        spork_process_kill(process);
        spork_process_join(process, SPORK_FOREVER);
    }
    int code = spork_process_exitcode(process);
    spork_process_free(process);
    if (killed && code == -9) {
        s->result.deaths++;
        return true;
    }
    if (code != 0) tally_fault_add(&s->ledger->faults, TALLY_WRONG, "a process ended with %d", code);
    return false;
}

static void strike(storm *s, int i)
{
    unsigned who = next_random(&s->random) % 8; /* both; the sender; the receiver */
    bool kill_sender = who < 4, kill_receiver = who == 0 || who >= 4;
    if (kill_sender) spork_process_kill(s->pairs[i].sender);
    if (kill_receiver) spork_process_kill(s->pairs[i].receiver);
    bury(s, s->pairs[i].sender, kill_sender);
    bool receiver_died = bury(s, s->pairs[i].receiver, kill_receiver);
    long sent = (long)atomic_load(&s->ledger->lines[i].sent), got = (long)atomic_load(&s->ledger->lines[i].got);
    s->result.sent += sent;
    s->result.got += got;
    s->pairs[i].receiver = s->pairs[i].sender = NULL;
    if (got > sent + 1) /* one more: it was killed before it could write down that it had sent */
        tally_fault_add(&s->ledger->faults, TALLY_DUPLICATED, "%ld sent, %ld received", sent, got);
    if (sent > got && receiver_died) s->result.lost += sent - got;
    if (sent > got && !receiver_died)
        tally_fault_add(&s->ledger->faults, TALLY_WRONG, "%ld sent, %ld received by one that lived", sent, got);
}

connection_result connection_storm(const connection_plan *plan)
{
    storm s;
    memset(&s, 0, sizeof s);
    s.plan = plan;
    s.random = plan->seed;
    s.shm = spork_shm_new(sizeof(ledger));
    s.ledger = spork_shm_data(s.shm);
    if (s.ledger == NULL) abort();
    int running = 0;
    while (running < plan->pairs && start(&s, running)) running++;
    harness_budget deaths = plan->deaths;
    while (running == plan->pairs && atomic_load(&s.ledger->faults.total) == 0 &&
           harness_goes_on(&deaths, s.result.deaths)) {
        int i = (int)(next_random(&s.random) % (unsigned)running);
        spork_sleep((int)(next_random(&s.random) % 4));
        strike(&s, i);
        if (!start(&s, i)) break; /* no storm without processes */
    }
    for (int i = 0; i < running; i++)
        if (s.pairs[i].sender != NULL) strike(&s, i);
    for (int f = 0; f < TALLY_FAULTS; f++) s.result.faults[f] = atomic_load(&s.ledger->faults.counts[f]);
    memcpy(s.result.first, s.ledger->faults.first, sizeof s.result.first);
    spork_shm_free(s.shm);
    return s.result;
}
