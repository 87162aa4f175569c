#ifdef _WIN32
#include <windows.h>
#else
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
#endif
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "syncs.h"

/* Says what was not as it should be, and where; the place is the exit code. */
static int wrong(int place, const char *what)
{
    fprintf(stderr, "%s (%d): %s\n", what, place, spork_error());
    return place;
}

static void die(void)
{
#ifdef _WIN32
    TerminateProcess(GetCurrentProcess(), 9);
#else
    kill(getpid(), SIGKILL);
#endif
    spork_sleep(SPORK_FOREVER);
}

/* ---- plain memory of several processes ---- */

#ifdef _WIN32
harness_end *syncs_board_new(void)
{
    HANDLE h = CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, sizeof(syncs_board), NULL);
    return h == NULL ? NULL : harness_wrap((spork_native)h);
}

syncs_board *syncs_board_map(harness_end *end)
{
    return MapViewOfFile((HANDLE)harness_end_native(end), FILE_MAP_ALL_ACCESS, 0, 0, sizeof(syncs_board));
}

void syncs_board_unmap(syncs_board *board)
{
    if (board != NULL) UnmapViewOfFile(board);
}
#else
harness_end *syncs_board_new(void)
{
    FILE *file = tmpfile();
    if (file == NULL) return NULL;
    int fd = fcntl(fileno(file), F_DUPFD_CLOEXEC, 0);
    fclose(file);
    if (fd < 0) return NULL;
    if (ftruncate(fd, sizeof(syncs_board)) != 0) {
        close(fd);
        return NULL;
    }
    return harness_wrap(fd);
}

syncs_board *syncs_board_map(harness_end *end)
{
    void *p = mmap(NULL, sizeof(syncs_board), PROT_READ | PROT_WRITE, MAP_SHARED, (int)harness_end_native(end), 0);
    return p == MAP_FAILED ? NULL : p;
}

void syncs_board_unmap(syncs_board *board)
{
    if (board != NULL) munmap(board, sizeof *board);
}
#endif

/* ---- a process that is told what to do ---- */

#define KINDS(X) X(lock) X(rlock) X(semaphore) X(event) X(condition) X(barrier)

typedef struct actor {
#define ENUM(name) KIND_##name,
    enum { KIND_NONE, KINDS(ENUM) } kind;
#define MEMBER(name) spork_##name *name;
    KINDS(MEMBER)
    harness_end *hear, *say;
    spork_process *delegate;
    bool ours; /* the object is to be freed by us */
    bool over;
    int code, asked, ask_until, ran, action_code;
    const char *in_thread;
} actor;

static bool say(actor *a, spork_status status, const char *format, ...)
{
    char numbers[128] = "", line[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(numbers, sizeof numbers, format, list);
    va_end(list);
    const char *sentence = status != SPORK_OK ? spork_error() : "";
    int n = snprintf(line, sizeof line, "%s%s%s%s\n", spork_status_name(status), numbers, sentence[0] != 0 ? "|" : "",
                     sentence);
    return harness_write(a->say, line, (size_t)n);
}

/* False at the end of what is said to it. It waits for longer than any test that watches another actor. */
static bool hear(actor *a, char *line, size_t size)
{
    for (size_t used = 0; used + 1 < size; used++) {
        long n = -1;
        for (int patience = 0; n < 0 && patience < 10; patience++) n = harness_read(a->hear, line + used, 1);
        if (n != 1) return false;
        if (line[used] == '\n') {
            line[used] = 0;
            return true;
        }
    }
    return false;
}

static bool is(const char *line, const char *word)
{
    size_t length = strlen(word);
    return strncmp(line, word, length) == 0 && (line[length] == 0 || line[length] == ' ');
}

static spork_status acquire(actor *a, int ms)
{
    switch (a->kind) {
    case KIND_lock: return spork_lock_acquire(a->lock, ms);
    case KIND_rlock: return spork_rlock_acquire(a->rlock, ms);
    case KIND_condition: return spork_condition_acquire(a->condition, ms);
    case KIND_semaphore: return spork_semaphore_acquire(a->semaphore, ms);
    default: return SPORK_INTERNAL;
    }
}

static spork_status recover(actor *a, int ms)
{
    switch (a->kind) {
    case KIND_lock: return spork_lock_recover(a->lock, ms);
    case KIND_rlock: return spork_rlock_recover(a->rlock, ms);
    case KIND_condition: return spork_condition_recover(a->condition, ms);
    default: return SPORK_INTERNAL;
    }
}

static spork_status release(actor *a)
{
    switch (a->kind) {
    case KIND_lock: return spork_lock_release(a->lock);
    case KIND_rlock: return spork_rlock_release(a->rlock);
    case KIND_condition: return spork_condition_release(a->condition);
    case KIND_semaphore: return spork_semaphore_release(a->semaphore);
    default: return SPORK_INTERNAL;
    }
}

/* As the header shows it. */
static spork_status get(actor *a, int ms, int *repaired)
{
    spork_status status;
    while ((status = acquire(a, ms)) == SPORK_OWNER_DIED) {
        status = recover(a, ms);
        if (status == SPORK_OK) {
            ++*repaired;
            status = release(a);
        }
        if (status != SPORK_OK && status != SPORK_BAD_STATE) return status;
    }
    return status;
}

static spork_status await(actor *a, unsigned *index, int ms)
{
    switch (a->kind) {
    case KIND_event: return spork_event_wait(a->event, ms);
    case KIND_condition: return spork_condition_wait(a->condition, ms);
    case KIND_barrier: return spork_barrier_wait(a->barrier, index, ms);
    default: return SPORK_INTERNAL;
    }
}

static bool ask(void *user)
{
    actor *a = user;
    return ++a->asked >= a->ask_until;
}

static int action(void *user)
{
    actor *a = user;
    a->ran++;
    return a->action_code;
}

static int stuck(void *user)
{
    say(user, SPORK_OK, " acting");
    spork_sleep(SPORK_FOREVER);
    return 0;
}

static spork_status keep(actor *a)
{
    switch (a->kind) {
#define KEEP(name)                                                                                                     \
    case KIND_##name: return spork_keep(a->name);
        KINDS(KEEP)
    default: return SPORK_INTERNAL;
    }
}

static void let_go(actor *a)
{
    switch (a->kind) {
#define FREE(name)                                                                                                     \
    case KIND_##name: spork_##name##_free(a->name); return;
        KINDS(FREE)
    default: return;
    }
}

static spork_status delegate(actor *a)
{
    switch (a->kind) {
#define DELEGATE(name)                                                                                                 \
    case KIND_##name:                                                                                                  \
        a->delegate = spork_process_new(syncs_act, spork_pack(a->name, harness_give(a->hear), harness_give(a->say)));  \
        break;
        KINDS(DELEGATE)
    default: return SPORK_INTERNAL;
    }
    return spork_process_start(a->delegate);
}

static bool obey(actor *a, const char *line);

static void in_thread(void *user)
{
    actor *a = user;
    obey(a, a->in_thread);
}

static bool obey(actor *a, const char *line)
{
    long long numbers[3] = {0};
    int given = 0;
    for (const char *at = strchr(line, ' '); at != NULL && given < 3; at = strchr(at + 1, ' '))
        numbers[given++] = strtoll(at + 1, NULL, 10);
    const int first = (int)numbers[0], first_ms = given > 0 ? first : harness_helper_patience_ms();
    const int second_ms = given > 1 ? (int)numbers[1] : harness_helper_patience_ms();
    spork_status status = SPORK_OK;
    unsigned index = 999;
    int repaired = 0;
    if (is(line, "thread")) {
        a->in_thread = line + 7;
        harness_thread_join(harness_thread_start(in_thread, a));
        return true;
    }
    if (is(line, "acquire")) return say(a, acquire(a, first_ms), "");
    if (is(line, "recover")) return say(a, recover(a, first_ms), "");
    if (is(line, "release")) {
        for (int i = 0; i < (given > 0 ? first : 1) && status == SPORK_OK; i++) status = release(a);
        return say(a, status, "");
    }
    if (is(line, "get")) {
        status = get(a, first_ms, &repaired);
        return say(a, status, " %d", repaired);
    }
    if (is(line, "locked"))
        return say(a, SPORK_OK, " %d",
                   a->kind == KIND_lock ? spork_lock_locked(a->lock) : spork_rlock_locked(a->rlock));
    if (is(line, "wait") || is(line, "waitdie")) {
        status = await(a, &index, first_ms);
        if (is(line, "waitdie") && status == SPORK_OK) die();
        return a->kind == KIND_barrier && status == SPORK_OK ? say(a, status, " %u", index) : say(a, status, "");
    }
    if (is(line, "waitfor")) {
        a->asked = 0;
        a->ask_until = first;
        status = spork_condition_wait_for(a->condition, ask, a, second_ms);
        return say(a, status, " %d", a->asked);
    }
    if (is(line, "notify")) return say(a, spork_condition_notify(a->condition, (unsigned)first), "");
    if (is(line, "notifyall")) return say(a, spork_condition_notify_all(a->condition), "");
    if (is(line, "set")) return say(a, spork_event_set(a->event), "");
    if (is(line, "clear")) return say(a, spork_event_clear(a->event), "");
    if (is(line, "is")) return say(a, SPORK_OK, " %d", spork_event_is_set(a->event));
    if (is(line, "pulse")) {
        status = spork_event_set(a->event);
        if (status == SPORK_OK) status = spork_event_clear(a->event);
        return say(a, status, "");
    }
    if (is(line, "value")) return say(a, SPORK_OK, " %u", spork_semaphore_value(a->semaphore));
    if (is(line, "then")) {
        a->ran = 0;
        a->action_code = first;
        status = spork_barrier_wait_then(a->barrier, action, a, &index, second_ms);
        return say(a, status, " %u %d", index, a->ran);
    }
    if (is(line, "stuck"))
        return say(a, spork_barrier_wait_then(a->barrier, stuck, a, &index, harness_helper_patience_ms()), " over");
    if (is(line, "abort")) return say(a, spork_barrier_abort(a->barrier), "");
    if (is(line, "reset")) return say(a, spork_barrier_reset(a->barrier), "");
    if (is(line, "broken")) return say(a, SPORK_OK, " %d", spork_barrier_broken(a->barrier));
    if (is(line, "waiting")) return say(a, SPORK_OK, " %u", spork_barrier_waiting(a->barrier));
    if (is(line, "parties")) return say(a, SPORK_OK, " %u", spork_barrier_parties(a->barrier));
    if (is(line, "free")) {
        if (!a->ours && keep(a) != SPORK_OK) return say(a, SPORK_INTERNAL, " cannot keep");
        let_go(a);
        a->ours = false;
        a->kind = KIND_NONE;
        return say(a, SPORK_OK, "");
    }
    if (is(line, "return")) {
        a->over = true;
        a->code = first;
        return true;
    }
    if (is(line, "exit")) exit(first);
    if (is(line, "die")) die();
    if (is(line, "delegate")) return say(a, delegate(a), "");
    return say(a, SPORK_INTERNAL, " what is that");
}

static int act(actor *a)
{
    char line[128];
    while (a->delegate == NULL && !a->over && hear(a, line, sizeof line))
        if (!obey(a, line)) return wrong(2, line);
    if (a->over) return a->code; /* with all that it has */
    if (a->delegate != NULL) {
        spork_process_join(a->delegate, SPORK_FOREVER);
        a->code = spork_process_exitcode(a->delegate);
        spork_process_free(a->delegate);
    }
    if (a->ours) let_go(a);
    return a->code;
}

int syncs_act(const spork_args *args)
{
    actor a = {0};
#define UNPACK(name)                                                                                                   \
    if (a.kind == KIND_NONE && spork_unpack(args, &a.name, harness_take(&a.hear), harness_take(&a.say)) == SPORK_OK)   \
        a.kind = KIND_##name;
    KINDS(UNPACK)
    return a.kind == KIND_NONE ? wrong(111, "unpack") : act(&a);
}

int syncs_act_received(const spork_args *args)
{
    actor a = {.ours = true};
    spork_connection *c;
    spork_args *message;
    if (spork_unpack(args, &c, harness_take(&a.hear), harness_take(&a.say)) != SPORK_OK) return wrong(111, "unpack");
    if (spork_connection_recv(c, &message, harness_helper_patience_ms()) != SPORK_OK) return wrong(112, "recv");
#define UNPACK_MESSAGE(name)                                                                                           \
    if (a.kind == KIND_NONE && spork_unpack(message, &a.name) == SPORK_OK) a.kind = KIND_##name;
    KINDS(UNPACK_MESSAGE)
    if (a.kind == KIND_NONE) return wrong(113, "unpack the message");
    if (keep(&a) != SPORK_OK) return wrong(114, "keep");
    spork_args_free(message);
    return act(&a);
}

/* ---- many rounds ---- */

int syncs_count(const spork_args *args)
{
    actor a = {0};
    harness_end *end;
    int rounds;
#define UNPACK_COUNT(name)                                                                                             \
    if (a.kind == KIND_NONE && spork_unpack(args, &a.name, harness_take(&end), &rounds) == SPORK_OK)                   \
        a.kind = KIND_##name;
    KINDS(UNPACK_COUNT)
    if (a.kind == KIND_NONE) return wrong(111, "unpack");
    syncs_board *board = syncs_board_map(end);
    if (board == NULL) return wrong(112, "map");
    for (int i = 0; i < rounds; i++) {
        if (acquire(&a, harness_helper_patience_ms()) != SPORK_OK) return wrong(2, "acquire");
        board->counter = board->counter + 1;
        if (release(&a) != SPORK_OK) return wrong(3, "release");
    }
    syncs_board_unmap(board);
    return 0;
}

int syncs_enter_here(spork_semaphore *semaphore, syncs_board *board, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        if (spork_semaphore_acquire(semaphore, harness_helper_patience_ms()) != SPORK_OK) return wrong(2, "acquire");
        long inside = __atomic_add_fetch(&board->inside, 1, __ATOMIC_SEQ_CST);
        long most = __atomic_load_n(&board->most, __ATOMIC_SEQ_CST);
        while (inside > most &&
               !__atomic_compare_exchange_n(&board->most, &most, inside, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
        __atomic_sub_fetch(&board->inside, 1, __ATOMIC_SEQ_CST);
        if (spork_semaphore_release(semaphore) != SPORK_OK) return wrong(3, "release");
    }
    return 0;
}

int syncs_enter(const spork_args *args)
{
    spork_semaphore *semaphore;
    harness_end *end;
    int rounds;
    if (spork_unpack(args, &semaphore, harness_take(&end), &rounds) != SPORK_OK) return wrong(111, "unpack");
    syncs_board *board = syncs_board_map(end);
    if (board == NULL) return wrong(112, "map");
    int code = syncs_enter_here(semaphore, board, rounds);
    syncs_board_unmap(board);
    return code;
}

typedef struct march {
    syncs_board *board;
    int parties;
    long round;
    bool bad;
} march;

/* Nobody has gone on, and nobody is missing. */
static int look_at_all(void *user)
{
    march *m = user;
    m->board->actions = m->board->actions + 1;
    for (int i = 0; i < m->parties; i++)
        if (m->board->turns[i] != m->round) m->bad = true;
    return 0;
}

int syncs_march_here(spork_barrier *barrier, syncs_board *board, int who, int parties, int rounds)
{
    march m = {.board = board, .parties = parties};
    for (int i = 1; i <= rounds; i++) {
        unsigned index = 999;
        m.round = i;
        board->turns[who] = i;
        if (spork_barrier_wait_then(barrier, look_at_all, &m, &index, harness_helper_patience_ms()) != SPORK_OK)
            return wrong(2, "wait");
        if (m.bad) return wrong(3, "somebody was not there");
        if (board->actions != i) return wrong(4, "so many actions");
        if (index >= (unsigned)parties) return wrong(5, "index");
        if (__atomic_exchange_n(&board->taken[index], i, __ATOMIC_SEQ_CST) == i) return wrong(6, "an index twice");
    }
    return 0;
}

int syncs_march(const spork_args *args)
{
    spork_barrier *barrier;
    harness_end *end;
    int who, parties, rounds;
    if (spork_unpack(args, &barrier, harness_take(&end), &who, &parties, &rounds) != SPORK_OK)
        return wrong(111, "unpack");
    syncs_board *board = syncs_board_map(end);
    if (board == NULL) return wrong(112, "map");
    int code = syncs_march_here(barrier, board, who, parties, rounds);
    syncs_board_unmap(board);
    return code;
}

/* ---- others ---- */

static bool never(void *user)
{
    (void)user;
    return false;
}
static int nothing(void *user)
{
    (void)user;
    return 0;
}

int syncs_not_shared(const spork_args *args)
{
    uint64_t at[6];
    unsigned index;
    if (spork_unpack(args, &at[0], &at[1], &at[2], &at[3], &at[4], &at[5]) != SPORK_OK) return wrong(111, "unpack");
    spork_lock *l = (spork_lock *)(uintptr_t)at[0];
    spork_rlock *r = (spork_rlock *)(uintptr_t)at[1];
    spork_semaphore *s = (spork_semaphore *)(uintptr_t)at[2];
    spork_event *e = (spork_event *)(uintptr_t)at[3];
    spork_condition *c = (spork_condition *)(uintptr_t)at[4];
    spork_barrier *b = (spork_barrier *)(uintptr_t)at[5];
    const spork_status statuses[] = {spork_lock_acquire(l, 0),
                                     spork_lock_recover(l, 0),
                                     spork_lock_release(l),
                                     spork_rlock_acquire(r, 0),
                                     spork_rlock_recover(r, 0),
                                     spork_rlock_release(r),
                                     spork_semaphore_acquire(s, 0),
                                     spork_semaphore_release(s),
                                     spork_event_set(e),
                                     spork_event_clear(e),
                                     spork_event_wait(e, 0),
                                     spork_condition_acquire(c, 0),
                                     spork_condition_recover(c, 0),
                                     spork_condition_wait(c, 0),
                                     spork_condition_wait_for(c, never, NULL, 0),
                                     spork_condition_notify(c, 1),
                                     spork_condition_notify_all(c),
                                     spork_condition_release(c),
                                     spork_barrier_wait(b, &index, 0),
                                     spork_barrier_wait_then(b, nothing, NULL, &index, 0),
                                     spork_barrier_abort(b),
                                     spork_barrier_reset(b)};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i] != SPORK_NOT_SHARED) {
            fprintf(stderr, "call %d: %s\n", (int)i, spork_status_name(statuses[i]));
            return 1 + (int)i;
        }
    spork_wait_item item = spork_on(e);
    if (spork_wait(&item, 1, 0) != SPORK_NOT_SHARED) return wrong(98, "wait");
    return !spork_lock_locked(l) && !spork_rlock_locked(r) && !spork_event_is_set(e) ? 0 : 99;
}

#ifdef _WIN32
int syncs_signals(const spork_args *args)
{
    (void)args;
    return 0;
}
#else
static spork_event *signalled;
static atomic_int handled;

static void on_signal(int number)
{
    (void)number;
    spork_event_set(signalled);
    atomic_fetch_add(&handled, 1);
}

static void disturb(void *user)
{
    const pthread_t *whom = user;
    for (int i = 1; i <= harness_count(2000); i++) {
        pthread_kill(*whom, SIGUSR1);
        while (atomic_load(&handled) < i) spork_sleep(0);
    }
}

int syncs_signals(const spork_args *args)
{
    pthread_t self = pthread_self();
    if (spork_unpack(args, &signalled) != SPORK_OK) return wrong(111, "unpack");
    struct sigaction act = {0};
    act.sa_handler = on_signal;
    sigaction(SIGUSR1, &act, NULL);
    harness_thread *thread = harness_thread_start(disturb, &self);
    while (atomic_load(&handled) < harness_count(2000)) {
        if (spork_event_set(signalled) != SPORK_OK) return wrong(2, "set");
        if (spork_event_clear(signalled) != SPORK_OK) return wrong(3, "clear");
        spork_status status = spork_event_wait(signalled, 1);
        if (status != SPORK_OK && status != SPORK_TIMEOUT) return wrong(4, "wait");
        spork_event_is_set(signalled);
    }
    harness_thread_join(thread);
    return 0;
}
#endif

int syncs_two_at_once(const spork_args *args)
{
    spork_lock *one, *two;
    if (spork_unpack(args, &one, &two) != SPORK_OK) return wrong(111, "unpack");
    if (spork_lock_acquire(one, 0) != SPORK_OK) return wrong(2, "acquire");
    if (spork_lock_acquire(two, 0) != SPORK_BAD_STATE) return wrong(3, "it is the same lock");
    if (!spork_lock_locked(two)) return wrong(4, "locked");
    if (spork_lock_release(two) != SPORK_OK) return wrong(5, "release");
    return spork_lock_locked(one) ? wrong(6, "still locked") : 0;
}

int syncs_starve_and_die(const spork_args *args)
{
    spork_lock *lock;
    if (spork_unpack(args, &lock) != SPORK_OK) return 100;
    spork__point_arm(SPORK__AT_ROBUST_RESERVED, 1);
    return (int)spork_lock_acquire(lock, SPORK_FOREVER);
}
