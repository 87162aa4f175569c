#ifdef _WIN32
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00
#endif
#include <windows.h>
#else
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#endif
#ifdef __linux__
#include <dirent.h>
#include <errno.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#endif
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queues.h"
#include "shms.h"

enum { SLOTS = 10 };

static int wrong(int place, const char *what)
{
    fprintf(stderr, "%s (%d): %s\n", what, place, spork_error());
    return place;
}

static void yield(void)
{
#ifdef _WIN32
    Sleep(0);
#else
    sched_yield();
#endif
}

/* ---- two creators, and somebody who opens ---- */

typedef struct meeting {
    atomic_int arrived, won, over;
} meeting;

/* The n-th time that both are there. */
static bool meet(meeting *at, int n, double end)
{
    atomic_fetch_add(&at->arrived, 1);
    while (atomic_load(&at->arrived) < 2 * n) {
        if (spork_time() > end) return false;
        yield();
    }
    return true;
}

static spork_lifetime lifetime_of(int role, int round)
{
    return (round >> role & 1) == 0 ? SPORK_CREATOR : SPORK_MANUAL; /* all four pairs in turn */
}

enum { RACE_SIZE = 50000 };

/* Roles 0 and 1 make one name, again and again. Says how many times it won, and what it met that must not be. */
static spork_status race(meeting *at, int role, int rounds, const char *name, char *said, size_t room)
{
    double end = spork_time() + harness_helper_patience_ms() / 1000.0;
    int wins = 0, met = 0;
    for (int round = 0; round < rounds; round++) {
        if (!meet(at, ++met, end)) return SPORK_TIMEOUT;
        spork_shm *made = spork_shm_create(name, RACE_SIZE, lifetime_of(role, round));
        if (made != NULL)
            atomic_fetch_add(&at->won, 1);
        else if (spork_last_status() != SPORK_EXISTS)
            return spork_last_status();
        if (!meet(at, ++met, end)) return SPORK_TIMEOUT;
        int winners = atomic_load(&at->won);
        if (winners != round + 1) {
            snprintf(said, room, " round %d has %d winners, %s and %s", round, winners - round,
                     lifetime_of(0, round) == SPORK_MANUAL ? "manual" : "creator",
                     lifetime_of(1, round) == SPORK_MANUAL ? "manual" : "creator");
            return SPORK_INTERNAL;
        }
        if (made != NULL) {
            wins++;
            spork_shm_free(made);
            if (lifetime_of(role, round) == SPORK_MANUAL && spork_shm_remove(name) != SPORK_OK)
                return spork_last_status();
        }
        if (!meet(at, ++met, end)) return SPORK_TIMEOUT;
    }
    snprintf(said, room, " %d", wins);
    atomic_store(&at->over, 1);
    return SPORK_OK;
}

/* Role 2 opens it meanwhile. */
static spork_status watch_race(meeting *at, const char *name, char *said, size_t room)
{
    double end = spork_time() + harness_helper_patience_ms() / 1000.0;
    int seen = 0;
    while (!atomic_load(&at->over)) {
        if (spork_time() > end) return SPORK_TIMEOUT;
        spork_shm *found = spork_shm_open(name);
        if (found == NULL && spork_last_status() != SPORK_NOT_FOUND) return spork_last_status();
        if (found == NULL) continue;
        const char *bytes = spork_shm_data(found);
        if (spork_shm_size(found) != RACE_SIZE || bytes == NULL || bytes[0] != 0 || bytes[RACE_SIZE - 1] != 0) {
            snprintf(said, room, " %zu bytes", spork_shm_size(found));
            return SPORK_INTERNAL;
        }
        seen++;
        spork_shm_free(found);
    }
    snprintf(said, room, " %d", seen);
    return SPORK_OK;
}

/* ---- what a process is told ---- */

typedef struct actor {
    spork_shm *slots[SLOTS];
    spork_connection *connection;
} actor;

static spork_status made(actor *a, int slot, spork_shm *block)
{
    a->slots[slot] = block;
    return block != NULL ? SPORK_OK : spork_last_status();
}

static spork_status receive(actor *a, int slot)
{
    spork_args *message;
    spork_status status = spork_connection_recv(a->connection, &message, harness_helper_patience_ms());
    if (status != SPORK_OK) return status;
    spork_shm *block;
    status = spork_unpack(message, &block);
    if (status == SPORK_OK) status = spork_keep(block);
    if (status == SPORK_OK) a->slots[slot] = block;
    spork_args_free(message);
    return status;
}

/* Returns when the child runs: it has let go of what it was not given. */
static spork_status start_holder(spork_shm *block, char *said, size_t room)
{
    spork_process_options o = {.target = shms_hold, .outlive_parent = true};
    harness_end *reader, *writer;
    char byte;
    if (!harness_pipe(&reader, &writer)) return SPORK_OS_ERROR;
    o.args = block != NULL ? spork_pack(harness_give(writer), block) : spork_pack(harness_give(writer), 0);
    spork_process *p = spork_process_new_with(&o);
    spork_status status = spork_process_start(p);
    harness_end_free(writer);
    if (status == SPORK_OK && harness_read(reader, &byte, 1) != 1) status = SPORK_TIMEOUT;
    harness_end_free(reader);
    snprintf(said, room, " %d", spork_process_pid(p));
    spork_process_free(p);
    return status;
}

#ifdef _WIN32
static spork_status plain_fork(char *said, size_t room)
{
    (void)said, (void)room;
    return spork_fork() < 0 ? spork_last_status() : SPORK_INTERNAL;
}
#else
static spork_status plain_fork(char *said, size_t room)
{
    int ends[2];
    char byte;
    if (pipe(ends) != 0) return SPORK_OS_ERROR;
    int pid = spork_fork();
    if (pid == 0) {
        if (write(ends[1], "x", 1) != 1) _exit(1);
        alarm(2 * (unsigned)harness_patience_ms() / 1000);
        for (;;) pause();
    }
    close(ends[1]);
    bool runs = pid > 0 && read(ends[0], &byte, 1) == 1;
    close(ends[0]);
    snprintf(said, room, " %d", pid);
    return runs ? SPORK_OK : SPORK_OS_ERROR;
}
#endif

#ifdef __linux__
/* Binds what makes the block that this user has under that name look like user `uid`'s: posix/named_abstract.c. */
static spork_status pose(const char *name, unsigned uid)
{
    char line[512], begin[160];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = 0;
    snprintf(begin, sizeof begin, "@spork-shm/%u/%s/", (unsigned)geteuid(), name);
    FILE *f = fopen("/proc/net/unix", "re");
    while (f != NULL && n == 0 && fgets(line, sizeof line, f) != NULL) {
        char *at = strstr(line, begin);
        if (at == NULL) continue;
        at[strcspn(at, "\n")] = 0;
        n = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "spork-shm/%u/%s/%.20s", uid, name,
                     at + strlen(begin));
    }
    if (f != NULL) fclose(f);
    int end = n > 0 ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1; /* open until we end */
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    return end >= 0 && bind(end, (struct sockaddr *)&address, size) == 0 ? SPORK_OK : SPORK_OS_ERROR;
}
#else
static spork_status pose(const char *name, unsigned uid) { return (void)name, (void)uid, SPORK_UNSUPPORTED; }
#endif

static spork_status do_line(actor *a, const char *line, char *said, size_t room)
{
    char word[16] = "", name[128] = "", kind[16] = "";
    int slot = 0, at = 0, number = 0, rounds = 0;
    unsigned long long size = 0;
    sscanf(line, "%15s %n", word, &at);
    const char *rest = line + at;
    if (strcmp(word, "remove") == 0) return sscanf(rest, "%127s", name) == 1 ? spork_shm_remove(name) : SPORK_INVALID;
    if (strcmp(word, "fork") == 0) return plain_fork(said, room);
    if (strcmp(word, "pose") == 0)
        return sscanf(rest, "%127s %d", name, &number) == 2 ? pose(name, (unsigned)number) : SPORK_INVALID;
#ifndef _WIN32
    if (strcmp(word, "cpu") == 0) {
        const rlim_t seconds = strtoul(rest, NULL, 10);
        return setrlimit(RLIMIT_CPU, &(struct rlimit){seconds, seconds}) == 0 ? SPORK_OK : SPORK_OS_ERROR;
    }
#endif
    if (sscanf(rest, "%d", &slot) != 1 || slot >= SLOTS) return SPORK_INVALID;
    if (strcmp(word, "start") == 0) return start_holder(slot >= 0 ? a->slots[slot] : NULL, said, room);
    if (slot < 0) return SPORK_INVALID;
    spork_shm *block = a->slots[slot];
    if (strcmp(word, "new") == 0 && sscanf(rest, "%*d %llu", &size) == 1)
        return made(a, slot, spork_shm_new((size_t)size));
    if (strcmp(word, "create") == 0 && sscanf(rest, "%*d %127s %llu %15s", name, &size, kind) == 3)
        return made(a, slot,
                    spork_shm_create(name, (size_t)size, strcmp(kind, "manual") == 0 ? SPORK_MANUAL : SPORK_CREATOR));
    if (strcmp(word, "open") == 0 && sscanf(rest, "%*d %127s", name) == 1) return made(a, slot, spork_shm_open(name));
    if (strcmp(word, "recv") == 0) return receive(a, slot);
    if (strcmp(word, "free") == 0) {
        spork_shm_free(block);
        a->slots[slot] = NULL;
        return SPORK_OK;
    }
    unsigned char *bytes = spork_shm_data(block);
    if (bytes == NULL) return spork_last_status();
    if (strcmp(word, "data") == 0) return snprintf(said, room, " %d", (int)((uintptr_t)bytes & 4095)), SPORK_OK;
    if (strcmp(word, "size") == 0) return snprintf(said, room, " %zu", spork_shm_size(block)), SPORK_OK;
    if (strcmp(word, "sum") == 0)
        return snprintf(said, room, " %u", queues_sum(bytes, spork_shm_size(block))), SPORK_OK;
    if (strcmp(word, "fill") == 0 && sscanf(rest, "%*d %d", &number) == 1)
        return queues_fill(bytes, spork_shm_size(block), (uint32_t)number), SPORK_OK;
    if (strcmp(word, "poke") == 0 && sscanf(rest, "%*d %llu %d", &size, &number) == 2)
        return bytes[size] = (unsigned char)number, SPORK_OK;
    if (strcmp(word, "peek") == 0 && sscanf(rest, "%*d %llu", &size) == 1)
        return snprintf(said, room, " %d", bytes[size]), SPORK_OK;
    if (strcmp(word, "send") == 0)
        return spork_connection_send(a->connection, spork_pack(block), harness_helper_patience_ms());
    if (strcmp(word, "move") == 0) {
        spork_status status =
            spork_connection_send(a->connection, spork_pack(spork_move(block)), harness_helper_patience_ms());
        if (status == SPORK_OK) a->slots[slot] = NULL;
        return status;
    }
    if (strcmp(word, "race") == 0 && sscanf(rest, "%*d %d %d %127s", &number, &rounds, name) == 3)
        return number == 2 ? watch_race((meeting *)(void *)bytes, name, said, room)
                           : race((meeting *)(void *)bytes, number, rounds, name, said, room);
    snprintf(said, room, " there is no such command: %.40s", line);
    return SPORK_UNSUPPORTED;
}

static void answer(actor *a, const char *line, char *text, size_t room)
{
    char said[128] = "";
    spork_status status = do_line(a, line, said, sizeof said);
    snprintf(text, room, "%s%s%s%s\n", spork_status_name(status), said, status != SPORK_OK ? "|" : "",
             status != SPORK_OK ? spork_error() : "");
}

int shms_act(const spork_args *args)
{
    harness_end *hear, *say;
    actor a = {{NULL}, NULL};
    char line[256], text[1400];
    spork_status status = args->count == 2 ? spork_unpack(args, harness_take(&hear), harness_take(&say))
                          : args->count == 3
                              ? spork_unpack(args, harness_take(&hear), harness_take(&say), &a.slots[0])
                              : spork_unpack(args, harness_take(&hear), harness_take(&say), &a.slots[0], &a.connection);
    if (status != SPORK_OK) return wrong(1, "unpack");
    if (a.slots[0] != NULL && spork_keep(a.slots[0]) != SPORK_OK) return wrong(2, "keep");
    for (size_t used = 0;;) {
        long n = harness_read(hear, line + used, 1);
        if (n < 0) continue; /* nothing for so long; the test's end ends this process, too */
        if (n == 0) return 0;
        if (line[used] != '\n') {
            if (++used == sizeof line) return wrong(3, "line");
            continue;
        }
        line[used] = 0;
        used = 0;
        if (strcmp(line, "exit") == 0) return 0;
        answer(&a, line, text, sizeof text);
        if (!harness_write(say, text, strlen(text))) return wrong(4, "write");
    }
}

int shms_scenario_act(const char *argument)
{
    actor a = {{NULL}, NULL};
    char line[256], text[1400];
#ifndef _WIN32
    if (strcmp(argument, "nobody") == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) return 1;
#else
    (void)argument;
#endif
    SPORK_MUST(spork_init(0, NULL));
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\r\n")] = 0;
        if (strcmp(line, "exit") == 0) break;
        answer(&a, line, text, sizeof text);
        fputs(text, stdout);
        fflush(stdout);
    }
    return 0;
}

/* ---- the other program ---- */

#ifdef _WIN32
shms_program *shms_run(const char *argument)
{
    shms_program *p = calloc(1, sizeof *p);
    HANDLE reader, writer, before = GetStdHandle(STD_INPUT_HANDLE);
    if (p == NULL || !CreatePipe(&reader, &writer, NULL, 0)) abort();
    SetHandleInformation(reader, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
    SetStdHandle(STD_INPUT_HANDLE, reader);
    p->program = harness_run("shm-act", argument);
    SetStdHandle(STD_INPUT_HANDLE, before);
    CloseHandle(reader);
    p->to = (intptr_t)writer;
    return p;
}

bool shms_tell(shms_program *p, const char *line)
{
    DWORD done;
    return WriteFile((HANDLE)p->to, line, (DWORD)strlen(line), &done, NULL) &&
           WriteFile((HANDLE)p->to, "\n", 1, &done, NULL);
}

static void hang_up(spork_native to) { CloseHandle((HANDLE)to); }
#else
shms_program *shms_run(const char *argument)
{
    shms_program *p = calloc(1, sizeof *p);
    int ends[2], before = fcntl(0, F_DUPFD_CLOEXEC, 3);
    if (p == NULL || pipe(ends) != 0) abort();
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    dup2(ends[0], 0);
    close(ends[0]);
    p->program = harness_run("shm-act", argument);
    if (before >= 0) {
        dup2(before, 0);
        close(before);
    } else
        close(0);
    p->to = ends[1];
    return p;
}

bool shms_tell(shms_program *p, const char *line)
{
    char text[300];
    int n = snprintf(text, sizeof text, "%s\n", line);
    return write((int)p->to, text, (size_t)n) == n;
}

static void hang_up(spork_native to) { close((int)to); }
#endif

void shms_free(shms_program *p)
{
    if (p == NULL) return;
#ifdef _WIN32
    harness_kill(p->program); /* harness_free does not */
    harness_wait(p->program);
#endif
    harness_free(p->program);
    hang_up(p->to);
    free(p);
}

/* ---- targets ---- */

int shms_two(const spork_args *args)
{
    spork_shm *one, *two;
    if (spork_unpack(args, &one, &two) != SPORK_OK) return wrong(1, "unpack");
    unsigned char *a = spork_shm_data(one), *b = spork_shm_data(two);
    size_t size = spork_shm_size(one);
    if (a == NULL || b == NULL || size != spork_shm_size(two)) return wrong(2, "data");
    a[0] = 3;
    b[size - 1] = 4;
    return b[0] == 3 && a[size - 1] == 4 ? 0 : wrong(3, "content");
}

int shms_relay(const spork_args *args)
{
    spork_shm *block;
    int depth;
    if (spork_unpack(args, &block, &depth) != SPORK_OK) return wrong(1, "unpack");
    unsigned char *bytes = spork_shm_data(block);
    if (bytes == NULL) return wrong(2, "data");
    bytes[depth] = (unsigned char)(100 + depth);
    if (depth == 0) return 0;
    spork_process *p = spork_process_new(shms_relay, spork_pack(block, depth - 1));
    if (spork_process_start(p) != SPORK_OK) return wrong(3, "start");
    if (spork_process_join(p, harness_helper_patience_ms()) != SPORK_OK) return wrong(4, "join");
    int code = spork_process_exitcode(p);
    spork_process_free(p);
    return code;
}

int shms_count(const spork_args *args)
{
    spork_shm *block;
    int n;
    if (spork_unpack(args, &block, &n) != SPORK_OK) return wrong(1, "unpack");
    atomic_int *counter = spork_shm_data(block);
    if (counter == NULL) return wrong(2, "data");
    while (n-- > 0) atomic_fetch_add(counter, 1);
    return 0;
}

int shms_not_shared(const spork_args *args)
{
    uint64_t address;
    if (spork_unpack(args, &address) != SPORK_OK) return wrong(1, "unpack");
    spork_shm *block = (spork_shm *)(uintptr_t)address;
    if (spork_shm_data(block) != NULL) return wrong(2, "data");
    if (spork_last_status() != SPORK_NOT_SHARED) return wrong(3, spork_status_name(spork_last_status()));
    if (spork_error()[0] == 0) return wrong(4, "no sentence");
    spork_process *p = spork_process_new(shms_hold, spork_pack(block));
    if (spork_process_start(p) == SPORK_OK) return wrong(5, "given on");
    spork_process_free(p);
    spork_shm_free(block);
    return 0;
}

int shms_hold(const spork_args *args)
{
    harness_end *say;
    spork_shm *block;
    int none;
    if (spork_unpack(args, harness_take(&say), &block) != SPORK_OK &&
        spork_unpack(args, harness_take(&say), &none) != SPORK_OK)
        return wrong(1, "unpack");
    if (!harness_write(say, "x", 1)) return wrong(2, "write");
    spork_sleep(2 * harness_patience_ms());
    return 0;
}

int shms_fill(const spork_args *args)
{
    spork_shm *block;
    uint32_t seed;
    if (spork_unpack(args, &block, &seed) != SPORK_OK) return wrong(1, "unpack");
    void *bytes = spork_shm_data(block);
    if (bytes == NULL) return wrong(2, "data");
    queues_fill(bytes, spork_shm_size(block), seed);
    return 0;
}

int shms_mappings(const spork_args *args)
{
    uint64_t size;
    char line[512], kind[8];
    unsigned long long from, to;
    int count = 0;
    if (spork_unpack(args, &size) != SPORK_OK) return wrong(99, "unpack");
    FILE *f = fopen("/proc/self/maps", "r");
    if (f == NULL) return wrong(98, "/proc/self/maps");
    while (fgets(line, sizeof line, f) != NULL)
        count += sscanf(line, "%llx-%llx %7s", &from, &to, kind) == 3 && kind[3] == 's' && to - from >= size &&
                 to - from <= size + 65536;
    fclose(f);
    return count;
}

long shms_share_kib(void)
{
    char line[256];
    long share = 0;
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    if (f == NULL) return 0;
    while (share == 0 && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "Pss: %ld", &share) != 1) share = 0;
    fclose(f);
    return share;
}

int shms_memory(const spork_args *args)
{
    spork_shm *block;
    harness_end *say;
    if (spork_unpack(args, &block, harness_take(&say)) != SPORK_OK) return wrong(1, "unpack");
    void *bytes = spork_shm_data(block);
    if (bytes == NULL) return wrong(2, "data");
    memset(bytes, 7, spork_shm_size(block));
    long share = shms_share_kib();
    if (!harness_write(say, &share, sizeof share)) return wrong(3, "write");
    spork_sleep(2 * harness_patience_ms()); /* the parent looks at its own share meanwhile */
    return 0;
}

/* ---- made and killed ---- */

typedef struct notes {
    atomic_int rounds;
    char wrong[200];
} notes;

int shms_storm_rounds(const spork_shm *block) { return atomic_load(&((notes *)spork_shm_data(block))->rounds); }
const char *shms_storm_wrong(const spork_shm *block) { return ((notes *)spork_shm_data(block))->wrong; }

static int note(notes *to, const char *what)
{
    snprintf(to->wrong, sizeof to->wrong, "%s: %s %.150s", what, spork_status_name(spork_last_status()), spork_error());
    return 1;
}

/* On Windows a name lasts as long as anybody has it open, and a file that was removed is there until then. */
#ifdef _WIN32
enum { LASTS_WHILE_OPEN = true };
#else
enum { LASTS_WHILE_OPEN = false };
#endif

int shms_storm(const spork_args *args)
{
    const char *creators, *manual;
    spork_shm *block, *m;
    if (spork_unpack(args, &block, &creators, &manual) != SPORK_OK) return wrong(1, "unpack");
    notes *to = spork_shm_data(block);
    if (to == NULL) return wrong(2, "data");
    for (;;) {
        atomic_fetch_add(&to->rounds, 1);
        if ((m = spork_shm_create(creators, 3000, SPORK_CREATOR)) != NULL)
            queues_fill(spork_shm_data(m), 3000, 1);
        else if (!LASTS_WHILE_OPEN || spork_last_status() != SPORK_EXISTS)
            return note(to, "create, creator");
        spork_shm_free(m);
        if ((m = spork_shm_create(manual, 7000, SPORK_MANUAL)) == NULL) {
            if (spork_last_status() != SPORK_EXISTS) return note(to, "create, manual"); /* of one that was killed */
        } else
            queues_fill(spork_shm_data(m), 7000, 2);
        spork_shm_free(m);
        if (spork_shm_remove(manual) != SPORK_OK) return note(to, "remove");
    }
}

int shms_come_and_go(const spork_args *args)
{
    const char *manual;
    spork_shm *block;
    if (spork_unpack(args, &block, &manual) != SPORK_OK) return wrong(1, "unpack");
    for (notes *to = spork_shm_data(block);;) {
        spork_shm *m = spork_shm_create(manual, 7000, SPORK_MANUAL);
        if (m == NULL && spork_last_status() != SPORK_EXISTS) return note(to, "create");
        spork_shm_free(m);
        spork_status status = spork_shm_remove(manual);
        bool fine = status == SPORK_OK;
        if (LASTS_WHILE_OPEN) fine = fine || status == SPORK_DENIED || (m == NULL && status == SPORK_NOT_FOUND);
        if (!fine) return note(to, "remove");
        atomic_fetch_add(&to->rounds, 1);
    }
}

/* ---- programs in strange places ---- */

static int skip(const char *why)
{
    printf("skip %s\n", why);
    return 0;
}

#ifndef _WIN32
static int failed(const char *what)
{
    printf("%s: %s: %s\n", what, spork_status_name(spork_last_status()), spork_error());
    fflush(stdout);
    return 1;
}
#endif

#ifdef __linux__
static bool holds(spork_shm *block, size_t size, uint32_t seed)
{
    char *expected = malloc(size);
    if (expected == NULL) return false;
    queues_fill(expected, size, seed);
    bool same = spork_shm_size(block) == size && memcmp(expected, spork_shm_data(block), size) == 0;
    free(expected);
    return same;
}

static int run(spork_process *p)
{
    if (spork_process_start(p) != SPORK_OK) return failed("start");
    if (spork_process_join(p, harness_helper_patience_ms()) != SPORK_OK) return failed("join");
    int code = spork_process_exitcode(p);
    spork_process_free(p);
    return code;
}

enum { MIB = 1024 * 1024 };

static int lock_and_put(const spork_args *args)
{
    spork_lock *lock;
    spork_queue *queue;
    if (spork_unpack(args, &lock, &queue) != SPORK_OK) return wrong(1, "unpack");
    if (spork_lock_acquire(lock, harness_helper_patience_ms()) != SPORK_OK) return wrong(2, "acquire");
    if (spork_lock_release(lock) != SPORK_OK) return wrong(3, "release");
    return spork_queue_put(queue, spork_pack(42), harness_helper_patience_ms()) == SPORK_OK ? 0 : wrong(4, "put");
}

static int use_anonymous(void)
{
    spork_shm *block = spork_shm_new(16 * MIB);
    if (block == NULL) return failed("new");
    if (run(spork_process_new(shms_fill, spork_pack(block, 5))) != 0) return failed("child");
    if (!holds(block, 16 * MIB, 5)) return failed("what the child wrote");
    spork_shm_free(block);
    spork_lock *lock = spork_lock_new();
    spork_queue *queue = spork_queue_new(0, 0);
    spork_args *message;
    if (lock == NULL || queue == NULL) return failed("lock, queue");
    if (run(spork_process_new(lock_and_put, spork_pack(lock, queue))) != 0)
        return failed("a child with lock and queue");
    if (spork_queue_get(queue, &message, harness_helper_patience_ms()) != SPORK_OK) return failed("get");
    spork_args_free(message);
    spork_queue_free(queue);
    spork_lock_free(lock);
    return 0;
}

static int use_named(spork_lifetime lifetime, const char *name, size_t size)
{
    spork_shm *block = spork_shm_create(name, size, lifetime);
    if (block == NULL) return failed("create");
    queues_fill(spork_shm_data(block), size, 6);
    spork_shm *again = spork_shm_open(name);
    if (again == NULL || !holds(again, size, 6)) return failed("open");
    if (spork_shm_create(name, 10, SPORK_MANUAL) != NULL || spork_last_status() != SPORK_EXISTS)
        return failed("a second manual one");
    if (spork_shm_create(name, 10, SPORK_CREATOR) != NULL || spork_last_status() != SPORK_EXISTS)
        return failed("a second creator's one");
    spork_shm_free(block);
    if (lifetime == SPORK_MANUAL && spork_shm_remove(name) != SPORK_OK) return failed("remove");
    if (spork_shm_open(name) != NULL || spork_last_status() != SPORK_NOT_FOUND) return failed("open after the end");
    if (!holds(again, size, 6)) return failed("the memory after the end");
    spork_shm_free(again);
    return 0;
}

/* Each for itself has room there, both have not: the second one lies elsewhere, but its name is one all the same. */
static int use_two_places(void)
{
    enum { SIZE = 700 * 1024 };
    spork_shm *first = spork_shm_create("first", SIZE, SPORK_MANUAL);
    spork_shm *second = spork_shm_create("second", SIZE, SPORK_MANUAL);
    if (first == NULL || second == NULL) return failed("two");
    queues_fill(spork_shm_data(first), SIZE, 1);
    queues_fill(spork_shm_data(second), SIZE, 2);
    spork_shm_free(first);
    spork_shm_free(second);
    if (spork_shm_remove("first") != SPORK_OK) return failed("remove the first");
    for (int lifetime = 0; lifetime < 2; lifetime++)
        if (spork_shm_create("second", 100, (spork_lifetime)lifetime) != NULL || spork_last_status() != SPORK_EXISTS)
            return failed("the second again, where there is room now");
    second = spork_shm_open("second");
    if (second == NULL || !holds(second, SIZE, 2)) return failed("open the second");
    spork_shm_free(second);
    if (spork_shm_remove("second") != SPORK_OK) return failed("remove the second");
    if (spork_shm_open("second") != NULL || spork_shm_remove("second") != SPORK_NOT_FOUND) return failed("it is there");
    return 0;
}

static int entries(const char *folder)
{
    int count = 0;
    DIR *d = opendir(folder);
    if (d == NULL) return 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) count += strstr(e->d_name, "spork") != NULL;
    closedir(d);
    return count;
}

/* No room for 4 MiB anywhere: a status, no death, nothing left. */
static int use_no_room(void)
{
    const int before = entries("/dev/shm") + entries("/tmp");
    if (spork_shm_create("large", 4 * MIB, SPORK_MANUAL) != NULL) return failed("there is room for a manual one");
    if (spork_last_status() != SPORK_NO_SPACE) return failed("manual");
    if (spork_shm_open("large") != NULL || spork_last_status() != SPORK_NOT_FOUND) return failed("half of one");
    spork_shm *creators = spork_shm_create("large", 4 * MIB, SPORK_CREATOR);
    if (creators != NULL)
        queues_fill(spork_shm_data(creators), 4 * MIB, 3);
    else if (spork_last_status() != SPORK_NO_SPACE)
        return failed("creator");
    spork_shm_free(creators);
    if (use_named(SPORK_MANUAL, "little", 100 * 1024) != 0) return failed("a little one");
    for (int i = 0; i < 20; i++) { /* until it is full */
        char name[32];
        snprintf(name, sizeof name, "part%d", i);
        spork_shm *part = spork_shm_create(name, 300 * 1024, SPORK_MANUAL);
        if (part == NULL && spork_last_status() != SPORK_NO_SPACE) return failed("part");
        if (part != NULL) queues_fill(spork_shm_data(part), 300 * 1024, 4);
        spork_shm_free(part);
    }
    for (int i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof name, "part%d", i);
        spork_status status = spork_shm_remove(name);
        if (status != SPORK_OK && (status != SPORK_NOT_FOUND || i < 3)) return failed("remove a part");
    }
    if (use_named(SPORK_MANUAL, "again", 100 * 1024) != 0) return failed("another little one");
    int left = entries("/dev/shm") + entries("/tmp") - before;
    if (left > 0) printf("%d entries are left\n", left);
    return left > 0;
}

static bool make_place(const char *mode)
{
    if (strcmp(mode, "absent") == 0) {
        static const struct {
            const char *path;
            int minor;
        } devices[] = {{"/dev/null", 3}, {"/dev/zero", 5}, {"/dev/full", 7}, {"/dev/random", 8}, {"/dev/urandom", 9}};
        if (mount("none", "/dev", "tmpfs", 0, "mode=755") != 0) return false;
        for (int i = 0; i < 5; i++)
            if (mknod(devices[i].path, S_IFCHR | 0666, makedev(1, (unsigned)devices[i].minor)) != 0) return false;
        return symlink("/proc/self/fd", "/dev/fd") == 0;
    }
    if (strcmp(mode, "full") == 0 && mount("none", "/tmp", "tmpfs", 0, "size=1m,mode=1777") != 0) return false;
    bool read_only = strcmp(mode, "read-only") == 0;
    return mount("none", "/dev/shm", "tmpfs", read_only ? MS_RDONLY : 0, "size=1m,mode=1777") == 0;
}

int shms_scenario_small(const char *mode)
{
    if (geteuid() != 0) return skip("only root can mount");
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) != 0)
        return skip("no mount namespace of its own is to be had here");
    if (!make_place(mode)) return skip("mount and mknod are not allowed here");
    SPORK_MUST(spork_init(0, NULL));
    if (strcmp(mode, "full") == 0) {
        if (use_no_room() != 0) return 1;
    } else {
        if (use_anonymous() != 0) return 2;
        char creators[64], manual[64]; /* a namespace of mounts has not got names of its own */
        snprintf(creators, sizeof creators, "creators-%d", spork_getpid());
        snprintf(manual, sizeof manual, "manual-%d", spork_getpid());
        if (use_named(SPORK_CREATOR, creators, 4 * MIB) != 0) return 3;
        if (use_named(SPORK_MANUAL, manual, 4 * MIB) != 0) return 4;
        if (strcmp(mode, "small") == 0 && use_two_places() != 0) return 5;
    }
    printf("fine\n");
    return 0;
}
#else
int shms_scenario_small(const char *mode)
{
    (void)mode;
    return skip("only Linux has mount namespaces");
}
#endif

#ifdef _WIN32
int shms_scenario_limit(const char *which)
{
    (void)which;
    return skip("Windows has no such limits");
}
#else
/* A block, or the status that says why not; what is there can be touched. */
static int try_one(const char *what, spork_shm *block, size_t size)
{
    if (block == NULL) {
        spork_status s = spork_last_status();
        if ((s != SPORK_NO_SPACE && s != SPORK_NO_MEMORY) || spork_error()[0] == 0) return failed(what);
    } else
        queues_fill(spork_shm_data(block), size, 1);
    spork_shm_free(block);
    return 0;
}

int shms_scenario_limit(const char *which)
{
    char name[64];
    const size_t size = 1024 * 1024;
    spork_shm *many[256];
    int count = 0;
    SPORK_MUST(spork_init(0, NULL));
    snprintf(name, sizeof name, "limit-%d", spork_getpid());
    spork_shm_free(spork_shm_new(1));
    if (strcmp(which, "file-size") == 0) setrlimit(RLIMIT_FSIZE, &(struct rlimit){64 * 1024, 64 * 1024});
    if (strcmp(which, "addresses") == 0) setrlimit(RLIMIT_AS, &(struct rlimit){512 * size, 512 * size});
    if (strcmp(which, "files") == 0) {
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){64, 64});
        for (int i = 0; i < 2; i++) { /* the second time all the same ones are there again */
            int before = count;
            for (count = 0; count < 256 && (many[count] = spork_shm_new(100)) != NULL;) count++;
            if (count < 256 && (spork_last_status() != SPORK_NO_SPACE || spork_error()[0] == 0)) return failed("files");
            if (try_one("create, creator", spork_shm_create(name, 100, SPORK_CREATOR), 100) != 0) return 2;
            if (try_one("create, manual", spork_shm_create(name, 100, SPORK_MANUAL), 100) != 0) return 3;
            spork_shm_remove(name);
            for (int j = 0; j < count; j++) spork_shm_free(many[j]);
            if (i == 1 && count != before) return printf("%d, then %d\n", before, count), 4;
        }
        printf("fine\n");
        return 0;
    }
    size_t asked = strcmp(which, "addresses") == 0 ? 1024 * size : size;
    if (try_one("new", spork_shm_new(asked), asked) != 0) return 5;
    if (try_one("create, creator", spork_shm_create(name, asked, SPORK_CREATOR), asked) != 0) return 6;
    spork_shm *manual = spork_shm_create(name, asked, SPORK_MANUAL);
    bool there = manual != NULL;
    if (try_one("create, manual", manual, asked) != 0) return 7;
    spork_status status = spork_shm_remove(name);
    if (status != (there ? SPORK_OK : SPORK_NOT_FOUND)) return failed("remove");
    if (try_one("a little one", spork_shm_new(1000), 1000) != 0) return 8;
    printf("fine\n");
    return 0;
}
#endif
