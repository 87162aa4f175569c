#ifdef _WIN32
#include <windows.h>
#else
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#endif
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "pools.h"
#include "targets.h"

/* A task whose test has failed ends all the same. */
static double give_up_s(void) { return 2 * harness_patience_ms() / 1000.0; }

static spork_pool_options options_of(unsigned workers, bool threads)
{
    spork_pool_options o = {.workers = workers, .threads = threads};
    return o;
}

/* ---- the board ---- */

struct pools_board {
    _Atomic long at[POOLS_PLACES];
};

size_t pools_board_size(void) { return sizeof(pools_board); }
pools_board *pools_board_of(const spork_shm *shm) { return spork_shm_data(shm); }
long pools_get(const pools_board *board, int place) { return atomic_load(&board->at[place]); }
void pools_set(pools_board *board, int place, long value) { atomic_store(&board->at[place], value); }
long pools_add(pools_board *board, int place, long value) { return atomic_fetch_add(&board->at[place], value) + value; }
long pools_exchange(pools_board *board, int place, long value) { return atomic_exchange(&board->at[place], value); }

bool pools_until(const pools_board *board, int place, long at_least)
{
    for (double end = spork_time() + harness_patience_ms() / 1000.0; spork_time() < end; spork_sleep(1))
        if (pools_get(board, place) >= at_least) return true;
    return pools_get(board, place) >= at_least;
}

/* This worker's board: what its initializer was given. In a pool of threads each has its own; who runs tasks in another thread than
 * the initializer finds it here, too. */
static _Thread_local pools_board *mine;
static pools_board *_Atomic last;

static pools_board *board(void)
{
    static pools_board nobodys; /* there was no initializer */
    if (mine != NULL) return mine;
    pools_board *any = atomic_load(&last);
    return any != NULL ? any : &nobodys;
}

void pools_forget(void)
{
    mine = NULL;
    atomic_store(&last, NULL);
}

pools_board *pools_here(void) { return board(); }

static bool is_open(const pools_board *b, int gate) { return pools_get(b, gate) != 0 || pools_get(b, POOLS_OPEN) != 0; }

/* ---- dying ---- */

static void die(void)
{
#ifdef _WIN32
    TerminateProcess(GetCurrentProcess(), 9);
#else
    kill(getpid(), SIGKILL);
#endif
    spork_sleep(SPORK_FOREVER);
}

static void crash(const char *how, int number)
{
    if (strcmp(how, "exit") == 0) exit(number);
    if (strcmp(how, "kill") == 0) die();
    spork_args args = spork_pack(strcmp(how, "null") == 0 ? "segv" : how);
    target_die(&args);
}

void pools_die(const char *how, int number) { crash(how, number); }

static void ignore_termination(void)
{
#ifndef _WIN32
    signal(SIGTERM, SIG_IGN);
#endif
}

/* ---- initializers ---- */

static long enter(const spork_shm *shm)
{
    mine = pools_board_of(shm);
    atomic_store(&last, mine);
    return pools_add(mine, POOLS_STARTED, 1);
}

int pools_init(const spork_args *args)
{
    spork_shm *shm;
    if (spork_unpack(args, &shm) != SPORK_OK) return 111;
    enter(shm);
    return 0;
}

void pools_make_sentence(void)
{
    spork_args args = spork_pack("a text");
    double number;
    spork_unpack(&args, &number);
}

int pools_init_nothing(const spork_args *args)
{
    (void)args;
    return 0;
}

int pools_init_how(const spork_args *args)
{
    spork_shm *shm;
    const char *how;
    int number;
    if (spork_unpack(args, &shm, &how, &number) != SPORK_OK) return 111;
    long start = enter(shm);
    if (strcmp(how, "code") == 0) return number;
    if (strcmp(how, "until") == 0) return start <= number ? 5 : 0;
    if (strcmp(how, "after") == 0) return start > number ? 5 : 0;
    if (strcmp(how, "sentence") == 0) {
        pools_make_sentence();
        return 1;
    }
    if (strcmp(how, "door") == 0) {
        for (double end = spork_time() + give_up_s(); !is_open(board(), POOLS_DOOR) && spork_time() < end;)
            spork_sleep(1);
        return number;
    }
    crash(how, number);
    return 112;
}

static struct tools {
    spork_lock *lock;
    spork_queue *queue;
    spork_event *event;
    spork_semaphore *semaphore;
    const char *text;
} tools;
static atomic_int
    tools_are_there; /* 1: somebody brings them; 2: they are. The workers of a pool of threads bring the same */

int pools_init_objects(const spork_args *args)
{
    struct tools got;
    spork_shm *shm;
    int nothing = 0;
    if (spork_unpack(args, &shm, &got.lock, &got.queue, &got.event, &got.semaphore, &got.text) != SPORK_OK) return 111;
    if (atomic_compare_exchange_strong(&tools_are_there, &nothing, 1)) {
        tools = got;
        atomic_store(&tools_are_there, 2);
    }
    while (atomic_load(&tools_are_there) != 2) spork_sleep(0);
    enter(shm);
    return 0;
}

void pools_forget_objects(void) { atomic_store(&tools_are_there, 0); }

static atomic_int fifteen;

int pools_init_fifteen(const spork_args *args)
{
    int n[15], sum = 0;
    if (spork_unpack(args, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &n[8], &n[9], &n[10], &n[11], &n[12],
                     &n[13], &n[14]) != SPORK_OK)
        return 111;
    for (int i = 0; i < 15; i++) sum += n[i];
    atomic_store(&fifteen, sum);
    return 0;
}

int pools_init_dying(const spork_args *args)
{
    (void)args;
    spork__point_arm(SPORK__AT_TASK_TAKEN, 1);
    return 0;
}

int pools_init_pointer(const spork_args *args)
{
    int *there;
    if (spork_unpack(args, spork_pointer_into(&there)) != SPORK_OK) return 111;
    ++*there;
    return 0;
}

/* ---- tasks: values ---- */

int pools_square(const spork_args *args, spork_task *task)
{
    int n;
    if (spork_unpack(args, &n) != SPORK_OK) return 1;
    if (n < 0) return spork_fail(task, "%d is negative", n);
    return spork_return(task, n * n);
}

int pools_nothing(const spork_args *args, spork_task *task)
{
    (void)task;
    return args->count == 0 ? 0 : 111;
}

static struct pools_place place_of(const spork_args *args, const spork_task *task)
{
    struct pools_place place;
    memset(&place, 0, sizeof place); /* between the members, too: it travels */
    place.pid = spork_getpid();
    place.worker = task->worker;
    place.attempt = task->attempt;
    place.arguments = args != NULL ? args->count : 0;
    place.index = task->index;
    place.context_size = task->context_size;
    place.context = task->context != NULL;
    return place;
}

int pools_where(const spork_args *args, spork_task *task)
{
    struct pools_place place = place_of(args, task);
    return spork_return(task, spork_struct(&place));
}

enum colour { GREEN = 3 };
struct shape {
    int x, y;
    char name[8];
};
static const double numbers[] = {1.5, -0.0, 1e300};
static const struct shape shape = {3, -4, "shape"};
static const int *const none = NULL;

spork_args pools_all_values(void)
{
    return spork_pack((signed char)INT8_MIN, (uint64_t)UINT64_MAX, INT64_MIN, 'c', true, GREEN, 1.25f, 1e-300,
                      "h\xc3\xa9llo", "", spork_bytes_of("\0\1\2", 3), spork_struct(&shape), spork_array(numbers, 3),
                      spork_array(none, 0));
}

struct values {
    signed char i8;
    uint64_t u64;
    int64_t i64;
    char c;
    bool b;
    enum colour colour;
    float f32;
    double f64;
    const char *text, *empty;
    spork_bytes bytes;
    struct shape shape;
    const double *array;
    const int *nothing;
    size_t count, no_count;
};

static int check(const struct values *v)
{
    const float f32 = 1.25f;
    const double f64 = 1e-300;
    if (v->i8 != INT8_MIN || v->u64 != UINT64_MAX || v->i64 != INT64_MIN || v->c != 'c' || !v->b || v->colour != GREEN)
        return 2;
    if (memcmp(&v->f32, &f32, sizeof f32) != 0 || memcmp(&v->f64, &f64, sizeof f64) != 0) return 3;
    if (strcmp(v->text, "h\xc3\xa9llo") != 0 || v->empty[0] != 0) return 4;
    if (v->bytes.size != 3 || memcmp(v->bytes.data, "\0\1\2", 3) != 0) return 5;
    if (v->shape.x != 3 || v->shape.y != -4 || strcmp(v->shape.name, "shape") != 0) return 6;
    if (v->count != 3 || (uintptr_t)v->array % 16 != 0 || memcmp(v->array, numbers, sizeof numbers) != 0) return 7;
    return v->no_count == 0 ? 0 : 8;
}

#define INTO(v)                                                                                                        \
    &(v).i8, &(v).u64, &(v).i64, &(v).c, &(v).b, &(v).colour, &(v).f32, &(v).f64, &(v).text, &(v).empty, &(v).bytes,   \
        spork_struct_into(&(v).shape), spork_array_into(&(v).array, &(v).count),                                       \
        spork_array_into(&(v).nothing, &(v).no_count)

int pools_values(const spork_args *args, spork_task *task)
{
    struct values v;
    if (spork_unpack(args, INTO(v)) != SPORK_OK) return 1;
    int wrong = check(&v);
    if (wrong != 0) return spork_fail(task, "value %d is wrong", wrong);
    /* What is given back borrows from what came, and from this function. */
    return spork_return(task, v.i8, v.u64, v.i64, v.c, v.b, v.colour, v.f32, v.f64, v.text, v.empty, v.bytes,
                        spork_struct(&v.shape), spork_array(v.array, v.count), spork_array(v.nothing, v.no_count));
}

int pools_check_values(const spork_future *future)
{
    struct values v;
    if (spork_future_get(future, harness_patience_ms(), INTO(v)) != SPORK_OK) {
        fprintf(stderr, "%s\n", spork_error());
        return 1;
    }
    return check(&v);
}

int pools_sixteen(const spork_args *args, spork_task *task)
{
    int n[16];
    if (spork_unpack(args, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &n[8], &n[9], &n[10], &n[11], &n[12],
                     &n[13], &n[14], &n[15]) != SPORK_OK)
        return 1;
    return spork_return(task, n[15], n[14], n[13], n[12], n[11], n[10], n[9], n[8], n[7], n[6], n[5], n[4], n[3], n[2],
                        n[1], n[0]);
}

int pools_mirror(const spork_args *args, spork_task *task)
{
    spork_bytes bytes;
    if (spork_unpack(args, &bytes) != SPORK_OK) return 1;
    return spork_return(task, bytes);
}

int pools_mirror_text(const spork_args *args, spork_task *task)
{
    const char *text;
    if (spork_unpack(args, &text) != SPORK_OK) return 1;
    return spork_return(task, text);
}

int pools_pointer(const spork_args *args, spork_task *task)
{
    long *number;
    if (spork_unpack(args, spork_pointer_into(&number)) != SPORK_OK) return 1;
    *number += 1;
    return spork_return(task, spork_pointer(number));
}

int pools_fifteen(const spork_args *args, spork_task *task)
{
    (void)args;
    return spork_return(task, atomic_load(&fifteen));
}

int pools_text_of_init(const spork_args *args, spork_task *task)
{
    (void)args;
    return spork_return(task, tools.text);
}

int pools_use_objects(const spork_args *args, spork_task *task)
{
    int n;
    if (spork_unpack(args, &n) != SPORK_OK) return 1;
    if (spork_event_wait(tools.event, harness_patience_ms()) != SPORK_OK) return 2;
    if (spork_semaphore_acquire(tools.semaphore, harness_patience_ms()) != SPORK_OK) return 3;
    if (spork_lock_acquire(tools.lock, harness_patience_ms()) != SPORK_OK) return 4;
    long before = pools_get(board(), POOLS_FREE);
    spork_sleep(0);
    pools_set(board(), POOLS_FREE, before + 1);
    if (spork_lock_release(tools.lock) != SPORK_OK) return 5;
    if (spork_semaphore_release(tools.semaphore) != SPORK_OK) return 6;
    if (spork_queue_put(tools.queue, spork_pack(n), harness_patience_ms()) != SPORK_OK) return 7;
    return spork_return(task, n);
}

int pools_a_global;

int pools_global(const spork_args *args, spork_task *task)
{
    (void)args;
    return spork_return(task, pools_a_global);
}

void pools_fill(void *to, size_t size, unsigned seed)
{
    unsigned char *byte = to;
    uint32_t x = seed * 2654435761u | 1;
    for (size_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        byte[i] = (unsigned char)x;
    }
}

/* ---- tasks: spork_task_alloc ---- */

/* NULL: the task is to return 1, with the sentence of what was wrong. */
static void *alloc_aligned(spork_task *task, size_t size)
{
    unsigned char *room = spork_task_alloc(task, size);
    if (room == NULL) return NULL;
    if ((uintptr_t)room % 4096 == 0) return room;
    spork_fail(task, "%p is not aligned", (void *)room);
    return NULL;
}

int pools_alloc(const spork_args *args, spork_task *task)
{
    size_t size;
    unsigned seed;
    if (spork_unpack(args, &size, &seed) != SPORK_OK) return 1;
    void *room = alloc_aligned(task, size);
    if (room == NULL) return 1;
    pools_fill(room, size, seed);
    return spork_return(task, spork_bytes_of(room, size));
}

int pools_alloc_part(const spork_args *args, spork_task *task)
{
    size_t size, from, length;
    unsigned seed;
    if (spork_unpack(args, &size, &seed, &from, &length) != SPORK_OK) return 1;
    unsigned char *room = alloc_aligned(task, size);
    if (room == NULL) return 1;
    pools_fill(room, size, seed);
    return spork_return(task, spork_bytes_of(room + from, length));
}

int pools_alloc_array(const spork_args *args, spork_task *task)
{
    size_t count;
    if (spork_unpack(args, &count) != SPORK_OK) return 1;
    double *room = alloc_aligned(task, count * sizeof *room);
    if (room == NULL) return 1;
    for (size_t i = 0; i < count; i++) room[i] = (double)i / 2;
    return spork_return(task, spork_array(room, count));
}

int pools_alloc_mixed(const spork_args *args, spork_task *task)
{
    size_t size;
    if (spork_unpack(args, &size) != SPORK_OK) return 1;
    void *bytes = alloc_aligned(task, size);
    uint16_t *array = alloc_aligned(task, size * sizeof *array);
    void *own = malloc(size);
    int code = 1;
    if (bytes != NULL && array != NULL && own != NULL) {
        pools_fill(bytes, size, 1);
        pools_fill(own, size, 2);
        for (size_t i = 0; i < size; i++) array[i] = (uint16_t)i;
        code = spork_return(task, 1, "one", spork_bytes_of(bytes, size), spork_array(array, size),
                            spork_bytes_of(own, size), 2.5);
    }
    free(own);
    return code;
}

int pools_alloc_drop(const spork_args *args, spork_task *task)
{
    size_t size;
    const char *how;
    if (spork_unpack(args, &size, &how) != SPORK_OK) return 1;
    void *room = alloc_aligned(task, size);
    if (room == NULL) return 1;
    pools_fill(room, size, 1); /* or it would cost nothing */
    if (strcmp(how, "return") == 0) return spork_return(task, 1);
    if (strcmp(how, "fail") == 0) return spork_fail(task, "it is dropped");
    crash(how, 3);
    return 2;
}

int pools_alloc_too_large(const spork_args *args, spork_task *task)
{
    (void)args;
    bool none_of_it = spork_task_alloc(task, SIZE_MAX / 4) == NULL;
    return spork_return(task, none_of_it, spork_last_status());
}

int pools_alloc_many(const spork_args *args, spork_task *task)
{
    enum { MOST = 256 };
    void *rooms[MOST];
    size_t size;
    int count = 0;
    if (spork_unpack(args, &size) != SPORK_OK) return 1;
    while (count < MOST && (rooms[count] = spork_task_alloc(task, size)) != NULL) {
        pools_fill(rooms[count], size, (unsigned)count + 1);
        count++;
    }
    spork_status status = spork_last_status();
    for (int i = 0; i < count; i++) {
        unsigned char *right = malloc(size);
        if (right == NULL) return 2;
        pools_fill(right, size, (unsigned)i + 1);
        bool same = memcmp(right, rooms[i], size) == 0;
        free(right);
        if (!same) return spork_fail(task, "room %d is another's too", i);
    }
    return count == 0 ? 3
                      : spork_return(task, count, status, spork_bytes_of(rooms[0], size),
                                     spork_bytes_of(rooms[count - 1], size));
}

int pools_alloc_twice(const spork_args *args, spork_task *task)
{
    size_t size;
    if (spork_unpack(args, &size) != SPORK_OK) return 1;
    void *room = alloc_aligned(task, size);
    if (room == NULL) return 1;
    pools_fill(room, size, 3);
    return spork_return(task, spork_bytes_of(room, size), spork_bytes_of(room, size));
}

/* ---- tasks that fail ---- */

int pools_fail(const spork_args *args, spork_task *task)
{
    const char *text;
    if (spork_unpack(args, &text) != SPORK_OK) return 1;
    return spork_fail(task, "%s", text);
}

int pools_fail_long(const spork_args *args, spork_task *task)
{
    size_t size;
    if (spork_unpack(args, &size) != SPORK_OK) return 1;
    char *text = malloc(size + 1);
    if (text == NULL) return 2;
    memset(text, 'a', size);
    text[size] = 0;
    int code = spork_fail(task, "<%s>", text);
    free(text);
    return code;
}

int pools_code(const spork_args *args, spork_task *task)
{
    int code;
    (void)task;
    return spork_unpack(args, &code) == SPORK_OK ? code : 111;
}

int pools_sentence(const spork_args *args, spork_task *task)
{
    (void)args, (void)task;
    pools_make_sentence();
    return 1;
}

int pools_sentence_fine(const spork_args *args, spork_task *task)
{
    (void)args, (void)task;
    pools_make_sentence();
    return 0;
}

int pools_return_fail(const spork_args *args, spork_task *task)
{
    (void)args;
    spork_return(task, 5);
    return 3;
}

int pools_return_twice(const spork_args *args, spork_task *task)
{
    (void)args;
    int code = spork_return(task, 1);
    return code != 0 ? code : spork_return(task, 2);
}

int pools_fail_fine(const spork_args *args, spork_task *task)
{
    (void)args;
    spork_fail(task, "it thinks better of it");
    return 0;
}

int pools_count_fail(const spork_args *args, spork_task *task)
{
    int place;
    if (spork_unpack(args, &place) != SPORK_OK) return 1;
    pools_add(board(), place, 1);
    return spork_fail(task, "counted");
}

int pools_return_null(const spork_args *args, spork_task *task)
{
    (void)args;
    return spork_return(task, (const char *)NULL);
}

int pools_return_lock(const spork_args *args, spork_task *task)
{
    (void)args;
    spork_lock *lock = spork_lock_new();
    int code = spork_return(task, lock);
    spork_lock_free(lock);
    return code;
}

int pools_return_pointer(const spork_args *args, spork_task *task)
{
    static int there;
    (void)args;
    return spork_return(task, spork_pointer(&there));
}

/* ---- tasks that last, and that die ---- */

static void show(const spork_task *task)
{
    if (task->worker < 256) pools_set(board(), POOLS_PIDS + (int)task->worker, spork_getpid());
}

/* Whether it stopped because it shall. */
static bool hold(const spork_task *task, int gate, int how)
{
    pools_board *b = board();
    bool asked = false;
    show(task);
    if (how == POOLS_DEAF) ignore_termination();
    pools_add(b, POOLS_BEGUN, 1);
    for (double end = spork_time() + give_up_s(); !is_open(b, gate) && spork_time() < end; spork_sleep(1)) {
        if (!asked && spork_task_cancelled(task)) {
            asked = true;
            pools_add(b, POOLS_ASKED, 1);
        }
        if (asked && how == POOLS_WILLING) break;
    }
    pools_add(b, POOLS_ENDED, 1);
    return asked && how == POOLS_WILLING;
}

int pools_hold(const spork_args *args, spork_task *task)
{
    int how, gate;
    if (spork_unpack(args, &how, &gate) != SPORK_OK) return 1;
    hold(task, gate, how);
    return spork_return(task, spork_getpid());
}

int pools_hold_number(const spork_args *args, spork_task *task)
{
    int gate, number;
    if (spork_unpack(args, &gate, &number) != SPORK_OK) return 1;
    hold(task, gate, POOLS_STUBBORN);
    return spork_return(task, number);
}

int pools_count(const spork_args *args, spork_task *task)
{
    int place;
    if (spork_unpack(args, &place) != SPORK_OK) return 1;
    return spork_return(task, pools_add(board(), place, 1));
}

int pools_meet(const spork_args *args, spork_task *task)
{
    int n;
    if (spork_unpack(args, &n) != SPORK_OK) return 1;
    show(task);
    pools_add(board(), POOLS_INSIDE, 1);
    if (!pools_until(board(), POOLS_INSIDE, n)) return spork_fail(task, "not so many are here");
    return spork_return(task, task->worker);
}

static void be_busy(int us)
{
    for (double end = spork_time() + us / 1e6; spork_time() < end;) {}
}

int pools_spin(const spork_args *args, spork_task *task)
{
    int us, number;
    if (spork_unpack(args, &us, &number) != SPORK_OK) return 1;
    for (double end = spork_time() + us / 1e6; spork_time() < end;)
        if (spork_task_cancelled(task)) return spork_fail(task, "stopped");
    return spork_return(task, number);
}

int pools_crash(const spork_args *args, spork_task *task)
{
    const char *how;
    int number;
    if (spork_unpack(args, &how, &number) != SPORK_OK) return 1;
    show(task);
    pools_add(board(), POOLS_BEGUN, 1);
    crash(how, number);
    return 112;
}

int pools_crash_or_number(const spork_args *args, spork_task *task)
{
    const char *how;
    int number;
    if (spork_unpack(args, &how, &number) != SPORK_OK) return 1;
    if (strcmp(how, "none") != 0) crash(how, number);
    return spork_return(task, number);
}

int pools_crash_until(const spork_args *args, spork_task *task)
{
    const char *how;
    unsigned attempt;
    if (spork_unpack(args, &how, &attempt) != SPORK_OK) return 1;
    show(task);
    pools_add(board(), POOLS_BEGUN, 1);
    if (task->attempt < attempt) crash(how, 3);
    return spork_return(task, task->attempt);
}

int pools_hold_until(const spork_args *args, spork_task *task)
{
    unsigned attempt;
    if (spork_unpack(args, &attempt) != SPORK_OK) return 1;
    if (task->attempt < attempt) hold(task, POOLS_GATE, POOLS_STUBBORN);
    return spork_return(task, task->attempt);
}

int pools_hold_and_mirror(const spork_args *args, spork_task *task)
{
    hold(task, task->attempt == 1 ? POOLS_OPEN : POOLS_GATE, POOLS_STUBBORN);
    return pools_mirror(args, task);
}

int pools_stop(const spork_args *args, spork_task *task)
{
    (void)args;
    show(task);
    pools_add(board(), POOLS_BEGUN, 1);
#ifndef _WIN32
    kill(getpid(), SIGSTOP);
#endif
    return 0;
}

int pools_stop_in_lock(const spork_args *args, spork_task *task)
{
    (void)args;
    show(task);
    pools_add(board(), POOLS_BEGUN, 1);
    spork__point_arm_stop(SPORK__AT_ARENA_LOCKED, 1);
    return spork_task_alloc(task, 1) != NULL ? 0 : 1;
}

int pools_stop_at_next(const spork_args *args, spork_task *task)
{
    (void)args;
    show(task);
    spork__point_arm_stop(SPORK__AT_TASK_TAKEN, 1);
    return 0;
}

int pools_stop_at_one_task(const spork_args *args, spork_task *task)
{
    (void)args;
    pools_add(board(), POOLS_INSIDE, 1);
    if (!pools_until(board(), POOLS_INSIDE, 2)) return spork_fail(task, "the other one is not here");
    if (task->worker == 0) {
        show(task);
        spork__point_arm_stop(SPORK__AT_TASK_NOTED, 1);
    } else {
        spork__point_arm_stop(SPORK__AT_TASK_RESULT, 2);
        hold(task, POOLS_GATE, POOLS_STUBBORN);
    }
    return 0;
}

/* False: there is no more. */
static bool take_memory(int mib)
{
    for (int i = 0; i < mib; i++)
        if (!harness_use_memory(1 << 20)) return false;
    return true;
}

int pools_memory(const spork_args *args, spork_task *task)
{
    const char *how;
    int mib;
    if (spork_unpack(args, &mib, &how) != SPORK_OK) return 1;
    if (take_memory(mib)) return spork_return(task, mib);
    if (strcmp(how, "fail") == 0) return spork_fail(task, "no memory");
    crash(how, 3);
    return 2;
}

int pools_memory_until(const spork_args *args, spork_task *task)
{
    unsigned attempt;
    int mib;
    if (spork_unpack(args, &mib, &attempt) != SPORK_OK) return 1;
    if (task->attempt < attempt && !take_memory(mib)) abort();
    return spork_return(task, task->attempt);
}

/* ---- tasks that use pools ---- */

int pools_nested(const spork_args *args, spork_task *task)
{
    enum { MOST = 100 };
    bool threads;
    int n;
    int64_t in[MOST], out[MOST], sum = 0;
    if (spork_unpack(args, &threads, &n) != SPORK_OK || n > MOST) return 1;
    spork_pool_options o = options_of(2, threads);
    spork_pool *pool = spork_pool_new_with(&o);
    for (int i = 0; i < n; i++) in[i] = i;
    spork_status status = spork_pool_map(pool, pools_item_square, in, out, (size_t)n, NULL);
    for (int i = 0; i < n && status == SPORK_OK; i++) sum += out[i];
    spork_pool_free(pool);
    return status == SPORK_OK ? spork_return(task, sum) : 1;
}

int pools_give(const spork_args *args, spork_task *task)
{
    spork_pool *pool;
    int n;
    if (spork_unpack(args, spork_pointer_into(&pool), &n) != SPORK_OK) return 1;
    for (int i = 0; i < n; i++)
        if (spork_pool_apply_async(pool, pools_count, spork_pack((int)POOLS_FREE), NULL, NULL) != SPORK_OK) return 2;
    return spork_return(task, n);
}

/* ---- items ---- */

int pools_item_square(const void *in, void *out, spork_task *task)
{
    int64_t n;
    (void)task;
    memcpy(&n, in, sizeof n);
    n *= n;
    memcpy(out, &n, sizeof n);
    return 0;
}

int pools_item_byte(const void *in, void *out, spork_task *task)
{
    (void)task;
    *(unsigned char *)out = (unsigned char)(255 - *(const unsigned char *)in);
    return 0;
}

int pools_item_index(const void *in, void *out, spork_task *task)
{
    (void)in;
    *(size_t *)out = task->index;
    return 0;
}

static void visit(const spork_task *task)
{
    if (task->index < POOLS_PLACES - POOLS_RUNS) pools_add(board(), POOLS_RUNS + (int)task->index, 1);
}

int pools_item_visit(const void *in, void *out, spork_task *task)
{
    (void)in, (void)out;
    visit(task);
    return 0;
}

int pools_item_return(const void *in, void *out, spork_task *task)
{
    (void)in, (void)out;
    if (spork_task_alloc(task, 100) != NULL || spork_last_status() != SPORK_BAD_STATE) return 0;
    return spork_return(task, 1);
}

int pools_item_scale(const void *in, void *out, spork_task *task)
{
    if (task->context_size != sizeof(double)) return spork_fail(task, "no such context");
    *(double *)out = *(const int *)in * *(const double *)task->context;
    return 0;
}

int pools_item_sum(const void *in, void *out, spork_task *task)
{
    size_t at = *(const size_t *)in;
    if (at >= task->context_size) return spork_fail(task, "the context ends at %zu", task->context_size);
    *(int *)out = ((const unsigned char *)task->context)[at];
    return 0;
}

int pools_item_where(const void *in, void *out, spork_task *task)
{
    (void)in;
    *(struct pools_place *)out = place_of(NULL, task);
    return 0;
}

int pools_item_block(const void *in, void *out, spork_task *task)
{
    const pools_block *from = in;
    pools_block *to = out;
    (void)task;
    for (size_t i = 0; i < sizeof to->bytes; i++) to->bytes[i] = from->bytes[sizeof from->bytes - 1 - i];
    return 0;
}

int pools_item_job(const void *in, void *out, spork_task *task)
{
    const pools_job *job = in;
    show(task);
    visit(task);
    switch (job->what) {
    case POOLS_FAIL: return spork_fail(task, "item %d fails", (int)task->index);
    case POOLS_CODE: return (int)job->value;
    case POOLS_NULL: crash("null", 0); break;
    case POOLS_EXIT: crash("exit", 3); break;
    case POOLS_ABORT: crash("abort", 0); break;
    case POOLS_KILL: crash("kill", 0); break;
    case POOLS_ONCE:
        if (task->attempt == 1) crash("exit", 3);
        break;
    case POOLS_LAST: spork__point_arm(SPORK__AT_TASK_RETURNED, 1); break;
    case POOLS_WAIT: hold(task, POOLS_GATE, POOLS_STUBBORN); break;
    case POOLS_YIELD:
        if (hold(task, POOLS_GATE, POOLS_WILLING)) return spork_fail(task, "stopped");
        break;
    case POOLS_YIELD_AND_STOP:
        hold(task, POOLS_GATE, POOLS_WILLING);
        spork__point_arm_stop(SPORK__AT_TASK_RETURNED, 1);
        break;
    case POOLS_SLOW: be_busy(200); break;
    default: break;
    }
    int64_t square = job->value * job->value;
    memcpy(out, &square, sizeof square);
    return 0;
}

int pools_item_job_in_place(const void *in, void *out, spork_task *task)
{
    pools_job job;
    memcpy(&job, in, sizeof job);
    int code = pools_item_job(&job, &job.value, task);
    if (code == 0) memcpy(out, &job, sizeof job);
    return code;
}

/* ---- the same as C writes it ---- */

static void remember(const spork_future *future, void *user)
{
    int n;
    if (spork_future_get(future, 0, &n) == SPORK_OK) atomic_store((atomic_int *)user, n);
}

static spork_status three_numbers(void *user, spork_args *next)
{
    int *drawn = user;
    if (*drawn == 3) return SPORK_CLOSED;
    *next = spork_pack(*drawn);
    ++*drawn;
    return SPORK_OK;
}

static int use_imap(spork_pool *pool)
{
    int drawn = 0;
    spork_imap *imap = spork_pool_imap(pool, pools_square, three_numbers, &drawn, 0, true);
    const spork_future *result;
    if (imap == NULL) return 20;
    for (int i = 0; i < 3; i++) {
        int n = -1;
        if (spork_imap_next(imap, &result, harness_patience_ms()) != SPORK_OK) return 21;
        if (spork_future_get(result, 0, &n) != SPORK_OK || n != i * i) return 22;
    }
    if (spork_imap_next(imap, &result, harness_patience_ms()) != SPORK_CLOSED) return 23;
    spork_imap_free(imap);
    return 0;
}

static int use_map(spork_pool *pool)
{
    const int in[3] = {1, 2, 3};
    const double factor = 0.5;
    double out[3] = {0};
    spork_status statuses[3];
    spork_map_options o = {.chunk = 2, .context = &factor, .context_size = sizeof factor, .statuses = statuses};
    if (spork_pool_map(pool, pools_item_scale, in, out, 3, &o) != SPORK_OK) return 30;
    for (int i = 0; i < 3; i++) {
        double right = in[i] * factor;
        if (memcmp(&out[i], &right, sizeof right) != 0 || statuses[i] != SPORK_OK) return 31;
    }
    return 0;
}

static int use_futures(spork_pool *pool)
{
    static atomic_int told;
    spork_task_options o = {.done = remember, .user = &told};
    spork_future *futures[2];
    spork_death death;
    spork_args *result;
    size_t index;
    int n;
    atomic_store(&told, -1);
    if (spork_pool_apply_async(pool, pools_square, spork_pack(3), &o, &futures[0]) != SPORK_OK) return 10;
    if (spork_pool_apply_async(pool, pools_square, spork_pack(-3), NULL, &futures[1]) != SPORK_OK) return 11;
    if (spork_future_wait_all(futures, 2, harness_patience_ms()) != SPORK_OK) return 12;
    if (spork_future_wait_any(futures, 2, 0, &index) != SPORK_OK || index != 0) return 13;
    if (spork_future_get(futures[0], 0, &n) != SPORK_OK || n != 9) return 14;
    SPORK_MUST(spork_future_check(futures[0], 0));
    if (spork_future_status(futures[1]) != SPORK_FAILED) return 15;
    if (spork_future_death(futures[1], &death) != SPORK_OK || death.attempt != 1) return 16;
    spork_wait_item item = spork_on(futures[1]);
    if (spork_wait(&item, 1, 0) != SPORK_OK || !item.ready) return 17;
    if (spork_pool_apply(pool, pools_square, spork_pack(5), &result, harness_patience_ms()) != SPORK_OK) return 18;
    if (spork_unpack(result, &n) != SPORK_OK || n != 25) return 19;
    spork_args_free(result);
    for (int i = 0; i < 2; i++) spork_future_free(futures[i]);
    for (double end = spork_time() + harness_patience_ms() / 1000.0; atomic_load(&told) != 9; spork_sleep(1))
        if (spork_time() > end) return 9;
    return 0;
}

int pools_c_side(bool threads)
{
    spork_pool_options o = options_of(2, threads);
    spork_pool_counters counters;
    spork_pool *pool = spork_pool_new_with(&o);
    if (pool == NULL) return 1;
    int code = use_futures(pool);
    if (code == 0) code = use_map(pool);
    if (code == 0) code = use_imap(pool);
    if (code == 0 && (spork_pool_count(pool, &counters) != SPORK_OK || counters.failed != 1)) code = 2;
    if (code == 0 && spork_pool_shutdown(pool, harness_patience_ms()) != SPORK_OK) code = 3;
    spork_pool_free(pool);
    return code;
}

/* ---- other processes ---- */

#ifdef _WIN32
void pools_kill(int pid)
{
    HANDLE process = OpenProcess(PROCESS_TERMINATE, FALSE, (DWORD)pid);
    if (process == NULL) return;
    TerminateProcess(process, 9);
    CloseHandle(process);
}

void pools_suspend(int pid) { (void)pid; }
void pools_continue(int pid) { (void)pid; }
void pools_interrupt(int pid) { (void)pid; }
int pools_threads(void) { return 0; }
long pools_rss_kib(int pid) { return (void)pid, 0; }

bool pools_ready(spork_native handle, int timeout_ms)
{
    return WaitForSingleObject((HANDLE)handle, (DWORD)timeout_ms) == WAIT_OBJECT_0;
}

int pools_fork_and_use(spork_pool *pool, spork_future *running, spork_future *ended, spork_imap *imap)
{
    (void)pool, (void)running, (void)ended, (void)imap;
    return -1;
}
#else
static void send(int pid, int signal)
{
    if (pid > 1) kill(pid, signal);
}

void pools_kill(int pid) { send(pid, SIGKILL); }
void pools_suspend(int pid) { send(pid, SIGSTOP); }
void pools_continue(int pid) { send(pid, SIGCONT); }
void pools_interrupt(int pid) { send(pid, SIGINT); }

int pools_threads(void)
{
    int count = 0;
    DIR *d = opendir("/proc/self/task");
    if (d == NULL) return 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

long pools_rss_kib(int pid)
{
    char name[64], line[128];
    long kib = 0;
    snprintf(name, sizeof name, "/proc/%d/status", pid);
    FILE *file = fopen(name, "r");
    if (file == NULL) return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0) kib = strtol(line + 6, NULL, 10);
    fclose(file);
    return kib;
}

bool pools_ready(spork_native handle, int timeout_ms)
{
    struct pollfd one = {.fd = (int)handle, .events = POLLIN};
    return poll(&one, 1, timeout_ms) == 1 && (one.revents & POLLIN) != 0;
}

static int use_anothers(spork_pool *pool, spork_future *running, spork_future *ended, spork_imap *imap)
{
    int64_t in[1] = {1}, out[1] = {5};
    spork_pool_counters counters;
    spork_death death;
    spork_future *future = running, *both[] = {running, ended};
    const spork_future *result;
    spork_args *values = NULL;
    size_t index;
    int n = 5;
    const spork_status statuses[] = {spork_pool_apply_async(pool, pools_square, spork_pack(3), NULL, &future),
                                     spork_pool_apply(pool, pools_square, spork_pack(3), &values, 0),
                                     spork_pool_map(pool, pools_item_square, in, out, 1, NULL),
                                     spork_imap_next(imap, &result, 0),
                                     spork_pool_count(pool, &counters),
                                     spork_pool_poll(pool, 0),
                                     spork_pool_join(pool, 0),
                                     spork_future_wait(running, 0),
                                     spork_future_wait(ended, 0),
                                     spork_future_wait_any(both, 2, 0, &index),
                                     spork_future_wait_all(both, 2, 0),
                                     spork_future_check(ended, 0),
                                     spork_future_status(ended),
                                     spork_future_get(ended, 0, &n),
                                     spork_future_death(ended, &death),
                                     spork_future_cancel(running),
                                     spork_pool_close(pool),
                                     spork_pool_terminate(pool),
                                     spork_pool_shutdown(pool, 0)};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i] != SPORK_NOT_YOURS) {
            fprintf(stderr, "call %d: %s %s\n", (int)i, spork_status_name(statuses[i]), spork_error());
            return 1 + (int)i;
        }
    if (future != NULL || values != NULL || out[0] != 5 || n != 5) return 50;
    if (spork_pool_imap(pool, pools_square, NULL, NULL, 0, true) != NULL) return 51;
    if (spork_pool_handle(pool) != -1 || spork_last_status() != SPORK_NOT_YOURS) return 52;
    /* It has copies of all that, and may let go of them. */
    spork_imap_free(imap);
    spork_future_free(running);
    spork_future_free(ended);
    spork_pool_free(pool);
    return 0;
}

int pools_fork_and_use(spork_pool *pool, spork_future *running, spork_future *ended, spork_imap *imap)
{
    int status = 0, pid = spork_fork();
    if (pid == 0) _exit(use_anothers(pool, running, ended, imap));
    if (pid < 0 || waitpid(pid, &status, 0) != pid) return 99;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
#endif

/* ---- programs ---- */

enum { WORKERS = 2, TASKS = 6 };

/* A pool whose workers know the board. */
static spork_pool *pool_of(spork_shm *shm, bool threads)
{
    spork_pool_options o = options_of(WORKERS, threads);
    o.initializer = pools_init;
    o.initargs = spork_pack(shm);
    return spork_pool_new_with(&o);
}

static void print_pids(spork_pool *pool, const pools_board *b, bool idle)
{
    for (int i = 0; i < WORKERS && idle; i++)
        SPORK_MUST(spork_pool_apply_async(pool, pools_meet, spork_pack((int)WORKERS), NULL, NULL));
    if (!pools_until(b, idle ? POOLS_INSIDE : POOLS_BEGUN, WORKERS)) printf("they do not begin\n");
    for (int i = 0; i < WORKERS; i++) printf("pid %ld\n", pools_get(b, POOLS_PIDS + i));
}

static void leave_open(const char *argument)
{
    static spork_future *futures[TASKS]; /* left, too */
    SPORK_MUST(spork_init(0, NULL));
    spork_shm *shm = spork_shm_new(pools_board_size());
    bool idle = strcmp(argument, "idle") == 0;
    int how = strcmp(argument, "deaf") == 0 ? POOLS_DEAF : POOLS_STUBBORN;
    spork_pool *pool = pool_of(shm, strcmp(argument, "threads") == 0);
    for (int i = 0; i < TASKS && !idle; i++)
        SPORK_MUST(spork_pool_apply_async(pool, pools_hold, spork_pack(how, (int)POOLS_GATE), NULL, &futures[i]));
    print_pids(pool, pools_board_of(shm), idle);
}

int pools_scenario_open(const char *argument)
{
    leave_open(argument);
    printf("main ends\n");
    return 5;
}

int pools_scenario_root(const char *argument)
{
    leave_open(argument);
    printf("ready\n");
    fflush(stdout);
    spork_sleep(SPORK_FOREVER);
    return 0;
}

int pools_scenario_no_init(const char *argument)
{
    (void)argument;
    spork_pool *pool = spork_pool_new(1);
    printf("%s %s %s\n", pool == NULL ? "NULL" : "a pool", spork_status_name(spork_last_status()), spork_error());
    return 0;
}

int pools_scenario_trace(const char *argument)
{
    int64_t in[10] = {0}, out[10];
    spork_map_options halves = {.chunk = 5};
    spork_future *last_one, *future;
    SPORK_MUST(spork_init(0, NULL));
    bool threads = strcmp(argument, "threads") == 0;
    spork_shm *shm = spork_shm_new(pools_board_size());
    spork_pool_options o = options_of(WORKERS, threads);
    o.initializer = pools_init;
    o.initargs = spork_pack(shm);
    spork_pool *pool = spork_pool_new_with(&o);
    for (int i = 0; i < WORKERS; i++) /* each waits for the others, so that each of them has a row */
        SPORK_MUST(spork_pool_apply_async(pool, pools_meet, spork_pack(WORKERS), NULL, NULL));
    for (int i = 0; i < 8 - WORKERS; i++)
        SPORK_MUST(spork_pool_apply_async(pool, pools_square, spork_pack(i), NULL, NULL));
    SPORK_MUST(
        spork_pool_apply_async(pool, pools_fail, spork_pack("with \"quotes\" and\na \\ second line"), NULL, &future));
    if (!threads) {
        spork_task_options once_more = {.retries = 1};
        SPORK_MUST(spork_pool_apply_async(pool, pools_crash_until, spork_pack("exit", 2u), &once_more, &last_one));
        SPORK_MUST(spork_future_check(last_one, harness_patience_ms()));
        spork_future_free(last_one);
    }
    SPORK_MUST(spork_pool_map(pool, pools_item_square, in, out, 10, &halves));
    if (spork_future_check(future, harness_patience_ms()) != SPORK_FAILED) return 1;
    spork_future_free(future);
    SPORK_MUST(spork_pool_shutdown(pool, harness_patience_ms()));
    spork_pool_free(pool);
    pools_forget();
    spork_shm_free(shm);
    return 0;
}

static void leave_by_exit(const spork_future *future, void *user)
{
    (void)future;
    if (strcmp(user, "_exit") == 0) _Exit(6);
    exit(6);
}

int pools_scenario_exit(const char *argument)
{
    char how[16];
    SPORK_MUST(spork_init(0, NULL));
    snprintf(how, sizeof how, "%s", argument);
    spork_task_options o = {.done = leave_by_exit, .user = how};
    spork_pool *pool = spork_pool_new(WORKERS);
    SPORK_MUST(spork_pool_apply_async(pool, pools_square, spork_pack(1), &o, NULL));
    spork_sleep(SPORK_FOREVER);
    return 0;
}

#ifdef _WIN32
int pools_scenario_terminal(const char *argument)
{
    (void)argument;
    return 64;
}

pools_terminal *pools_terminal_run(const char *scenario, const char *argument)
{
    (void)scenario, (void)argument;
    return NULL;
}
const char *pools_terminal_line(pools_terminal *t) { return (void)t, NULL; }
void pools_terminal_type(pools_terminal *t, const char *keys) { (void)t, (void)keys; }
const char *pools_terminal_errors(pools_terminal *t) { return (void)t, NULL; }
int pools_terminal_wait(pools_terminal *t) { return (void)t, -1000; }
void pools_terminal_free(pools_terminal *t) { (void)t; }
#else

static spork_event *ctrl_c;
static void on_ctrl_c(int number)
{
    (void)number;
    spork_event_set(ctrl_c);
}

int pools_scenario_terminal(const char *argument)
{
    spork_future *futures[WORKERS];
    SPORK_MUST(spork_init(0, NULL));
    spork_shm *shm = spork_shm_new(pools_board_size());
    pools_board *b = pools_board_of(shm);
    ctrl_c = spork_event_new();
    if (strcmp(argument, "handled") == 0) signal(SIGINT, on_ctrl_c);
    spork_pool *pool = pool_of(shm, false);
    for (int i = 0; i < WORKERS; i++)
        SPORK_MUST(spork_pool_apply_async(pool, pools_hold, spork_pack((int)POOLS_STUBBORN, (int)POOLS_GATE), NULL,
                                          &futures[i]));
    print_pids(pool, b, false);
    printf("ready\n");
    fflush(stdout);
    SPORK_MUST(spork_event_wait(ctrl_c, SPORK_FOREVER));
    spork_sleep(50); /* whoever has to do with that Ctrl-C has had the time */
    pools_set(b, POOLS_GATE, 1);
    for (int i = 0; i < WORKERS; i++) {
        spork_status status = spork_future_check(futures[i], harness_patience_ms());
        printf("ended %s %s\n", spork_status_name(status), status == SPORK_OK ? "" : spork_error());
        spork_future_free(futures[i]);
    }
    SPORK_MUST(spork_pool_shutdown(pool, harness_patience_ms()));
    spork_pool_free(pool);
    return 7;
}

struct pools_terminal {
    pid_t pid;
    int keyboard, errors; /* the other end of the terminal; of the pipe */
    size_t used, taken;
    char screen[1 << 14], line[1024], said[1 << 14];
    bool ended;
    int exitcode;
};

/* In the new program's process, before it is one. */
static bool sit_down(const char *name, int errors)
{
    struct termios how;
    if (setsid() < 0) return false;
    int fd = open(name, O_RDWR);
    if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) != 0 || tcgetattr(fd, &how) != 0) return false;
    how.c_lflag &= ~(tcflag_t)ECHO;
    if (tcsetattr(fd, TCSANOW, &how) != 0) return false;
    sigset_t nothing;
    sigemptyset(&nothing);
    sigprocmask(SIG_SETMASK, &nothing, NULL);
    signal(SIGINT, SIG_DFL);
    return dup2(fd, 0) == 0 && dup2(fd, 1) == 1 && dup2(errors, 2) == 2;
}

pools_terminal *pools_terminal_run(const char *scenario, const char *argument)
{
    const char *self = harness_self(), *name;
    int ends[2];
    pools_terminal *t = calloc(1, sizeof *t);
    if (t == NULL) return NULL;
    t->keyboard = posix_openpt(O_RDWR | O_NOCTTY);
    if (t->keyboard < 0 || grantpt(t->keyboard) != 0 || unlockpt(t->keyboard) != 0) return NULL;
    fcntl(t->keyboard, F_SETFD, FD_CLOEXEC);
    name = ptsname(t->keyboard);
    if (name == NULL || pipe(ends) != 0) return NULL;
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    fflush(stdout);
    t->pid = fork();
    if (t->pid == 0) {
        if (sit_down(name, ends[1])) execl(self, self, "--scenario", scenario, argument, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    t->errors = ends[0];
    return t;
}

/* What comes from `fd`; 0: its end (a terminal says so by an error); -1: not in time. */
static long read_from(int fd, char *to, size_t room, double until)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    double left = until - spork_time();
    if (left <= 0 || poll(&ready, 1, (int)(left * 1000) + 1) != 1) return -1;
    ssize_t n = read(fd, to, room);
    return n > 0 ? (long)n : 0;
}

const char *pools_terminal_line(pools_terminal *t)
{
    for (double until = spork_time() + harness_patience_ms() / 1000.0;;) {
        char *begin = t->screen + t->taken, *end = memchr(begin, '\n', t->used - t->taken);
        if (end != NULL) {
            size_t length = (size_t)(end - begin);
            t->taken += length + 1;
            if (length > 0 && begin[length - 1] == '\r') length--;
            if (length >= sizeof t->line) length = sizeof t->line - 1;
            memcpy(t->line, begin, length);
            t->line[length] = 0;
            return t->line;
        }
        long n = read_from(t->keyboard, t->screen + t->used, sizeof t->screen - t->used, until);
        if (n <= 0) return NULL;
        t->used += (size_t)n;
    }
}

void pools_terminal_type(pools_terminal *t, const char *keys)
{
    if (write(t->keyboard, keys, strlen(keys)) < 0) perror("the terminal");
}

const char *pools_terminal_errors(pools_terminal *t)
{
    size_t used = 0;
    for (double until = spork_time() + harness_patience_ms() / 1000.0; used + 1 < sizeof t->said;) {
        long n = read_from(t->errors, t->said + used, sizeof t->said - 1 - used, until);
        if (n < 0) return NULL;
        if (n == 0) break;
        used += (size_t)n;
    }
    t->said[used] = 0;
    return t->said;
}

static bool terminal_ended(void *user)
{
    pools_terminal *t = user;
    int status;
    if (!t->ended && waitpid(t->pid, &status, WNOHANG) == t->pid) {
        t->ended = true;
        t->exitcode = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    return t->ended;
}

int pools_terminal_wait(pools_terminal *t)
{
    if (harness_until(terminal_ended, t)) return t->exitcode;
    kill(t->pid, SIGKILL);
    harness_until(terminal_ended, t);
    return -1000;
}

void pools_terminal_free(pools_terminal *t)
{
    if (t == NULL) return;
    if (!terminal_ended(t)) {
        kill(t->pid, SIGKILL);
        harness_until(terminal_ended, t);
    }
    close(t->keyboard);
    close(t->errors);
    free(t);
}
#endif
