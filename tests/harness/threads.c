#ifdef _WIN32
#include <windows.h>
#else
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "targets.h"
#include "threads.h"

/* Says what was not as it should be, and where; the place is the exit code. */
static int wrong(int place, const char *what)
{
    fprintf(stderr, "%s (%d): %s\n", what, place, spork_error());
    return place;
}

static bool is_there(spork_thread *thread)
{
    spork_thread *list[64];
    size_t count = spork_active_threads(list, 64);
    for (size_t i = 0; i < count && i < 64; i++)
        if (list[i] == thread) return true;
    return false;
}

/* ---- targets of threads ---- */

static bool say_and_wait(spork_event *there, spork_event *go)
{
    return spork_event_set(there) == SPORK_OK && spork_event_wait(go, harness_patience_ms()) == SPORK_OK;
}

int threads_hold(const spork_args *args)
{
    spork_event *there, *go;
    int code;
    if (spork_unpack(args, &there, &go, &code) != SPORK_OK) return wrong(111, "threads_hold");
    return say_and_wait(there, go) ? code : wrong(112, "threads_hold");
}

int threads_meet(const spork_args *args)
{
    spork_barrier *barrier;
    spork_event *go;
    unsigned index;
    if (spork_unpack(args, &barrier, &go) != SPORK_OK) return wrong(-1, "threads_meet");
    if (spork_barrier_wait(barrier, &index, harness_patience_ms()) != SPORK_OK) return wrong(-2, "threads_meet");
    return spork_event_wait(go, harness_patience_ms()) == SPORK_OK ? (int)index : wrong(-3, "threads_meet");
}

int threads_count(const spork_args *args)
{
    spork_semaphore *semaphore;
    if (spork_unpack(args, &semaphore) != SPORK_OK) return wrong(111, "threads_count");
    return spork_semaphore_release(semaphore) == SPORK_OK ? 0 : wrong(1, "threads_count");
}

void threads_see(threads_sight *sight)
{
    memset(sight, 0, sizeof *sight);
    sight->found = spork_last_status();
    snprintf(sight->found_sentence, sizeof sight->found_sentence, "%s", spork_error());
    sight->thread = spork_current_thread();
    spork_thread_free(sight->thread); /* nothing happens to it */
    snprintf(sight->name, sizeof sight->name, "%s", spork_thread_name(sight->thread));
    sight->alive = spork_thread_is_alive(sight->thread);
    sight->listed = is_there(sight->thread);
    sight->exitcode = spork_thread_exitcode(sight->thread);
    sight->starts = spork_thread_start(sight->thread);
    sight->joins = spork_thread_join(sight->thread, SPORK_FOREVER);
    snprintf(sight->sentence, sizeof sight->sentence, "%s", spork_error());
}

int threads_look(const spork_args *args)
{
    void *sight;
    if (spork_unpack(args, spork_pointer_into(&sight)) != SPORK_OK) return wrong(111, "threads_look");
    threads_see(sight);
    return 0;
}

int threads_look_and_hold(const spork_args *args)
{
    threads_sight *sight;
    spork_event *there, *go;
    spork_semaphore *done;
    if (spork_unpack(args, spork_pointer_into(&sight), &there, &go, &done) != SPORK_OK)
        return wrong(111, "threads_look_and_hold");
    threads_see(&sight[0]);
    if (!say_and_wait(there, go)) return wrong(112, "threads_look_and_hold");
    threads_see(&sight[1]);
    return spork_semaphore_release(done) == SPORK_OK ? 0 : wrong(113, "threads_look_and_hold");
}

/* ---- values ---- */

struct shape {
    int x, y;
    char name[8];
};
enum colour { RED = 1, BLUE = 700 };
static const double numbers[] = {1.5, -0.0, 1e300};
static int anchor;

static int check_values(const spork_args *args)
{
    signed char i8;
    uint64_t u64;
    const char *text, *empty;
    double f64;
    float f32;
    bool b;
    enum colour colour;
    const double *array;
    const int *nothing;
    size_t count, none;
    struct shape shape;
    spork_bytes bytes;
    char buffer[16];
    int *pointer;
    void *null_pointer;
    if (spork_unpack(args, &i8, &u64, &text, &empty, &f64, &f32, &b, &colour, spork_array_into(&array, &count),
                     spork_array_into(&nothing, &none), spork_struct_into(&shape), &bytes,
                     spork_text_into(buffer, sizeof buffer), spork_pointer_into(&pointer),
                     spork_pointer_into(&null_pointer)) != SPORK_OK)
        return wrong(1, "check_values");
    if (i8 != INT8_MIN || u64 != UINT64_MAX || !b || colour != BLUE) return 2;
    if (memcmp(&f64, &(double){2.5}, sizeof f64) != 0 || memcmp(&f32, &(float){0.25f}, sizeof f32) != 0) return 3;
    if (strcmp(text, "h\xc3\xa9llo") != 0 || empty[0] != 0 || strcmp(buffer, "into a buffer") != 0) return 4;
    if (count != 3 || memcmp(array, numbers, sizeof numbers) != 0 || (uintptr_t)array % 16 != 0 || none != 0) return 5;
    if (shape.x != 3 || shape.y != -4 || strcmp(shape.name, "shape") != 0) return 6;
    if (bytes.size != 3 || memcmp(bytes.data, "\0\1\2", 3) != 0) return 7;
    return pointer == &anchor && null_pointer == NULL ? 0 : 8;
}

spork_thread *threads_with_values(void)
{
    char text[16] = "h\xc3\xa9llo", name[16] = "valued", bytes[3] = {0, 1, 2}, second[16] = "into a buffer";
    double array[3];
    struct shape shape = {3, -4, "shape"};
    memcpy(array, numbers, sizeof array);
    spork_thread_options options = {.target = check_values, .name = name};
    options.args = spork_pack(INT8_MIN, (uint64_t)UINT64_MAX, text, "", 2.5, 0.25f, true, BLUE, spork_array(array, 3),
                              spork_array((const int *)NULL, 0), spork_struct(&shape), spork_bytes_of(bytes, 3), second,
                              spork_pointer(&anchor), spork_pointer((int *)NULL));
    spork_thread *thread = spork_thread_new_with(&options);
    memset(text, 'x', sizeof text - 1);
    memset(name, 'x', sizeof name - 1);
    memset(bytes, 'x', sizeof bytes);
    memset(second, 'x', sizeof second - 1);
    memset(array, 'x', sizeof array);
    memset(&shape, 'x', sizeof shape);
    memset(&options, 'x', sizeof options);
    return thread;
}

int threads_unpack_wrong(const spork_args *args)
{
    const char *text;
    threads_sight *sight;
    spork_status status = spork_unpack(args, &text, spork_pointer_into(&sight));
    int number;
    if (spork_unpack(args, &number, spork_pointer_into(&sight)) != SPORK_OK) return wrong(111, "threads_unpack_wrong");
    sight->found = status;
    snprintf(sight->found_sentence, sizeof sight->found_sentence, "%s", spork_error());
    return 0;
}

int threads_read_late(const spork_args *args)
{
    const char *text;
    spork_bytes bytes;
    const int *array;
    size_t count;
    spork_event *there, *go;
    if (spork_unpack(args, &text, &bytes, spork_array_into(&array, &count), &there, &go) != SPORK_OK)
        return wrong(111, "threads_read_late");
    if (!say_and_wait(there, go)) return wrong(112, "threads_read_late");
    bool fine = strcmp(text, "text") == 0 && bytes.size == 4 && memcmp(bytes.data, "text", 4) == 0;
    for (size_t i = 0; i < count; i++) fine = fine && array[i] == (int)i;
    return fine ? 0 : 1;
}

/* ---- objects ---- */

static int use_lock(threads_objects *o)
{
    if (spork_lock_acquire(o->lock, 0) != SPORK_OK || spork_lock_release(o->lock) != SPORK_OK) return wrong(3, "lock");
    if (spork_rlock_acquire(o->rlock, 0) != SPORK_OK || spork_rlock_release(o->rlock) != SPORK_OK)
        return wrong(4, "rlock");
    if (spork_condition_acquire(o->condition, 0) != SPORK_OK || spork_condition_release(o->condition) != SPORK_OK)
        return wrong(5, "condition");
    return 0;
}

int threads_use_objects(const spork_args *args)
{
    threads_objects *o, mine;
    if (spork_unpack(args, spork_pointer_into(&o), &mine.connection, &mine.queue, &mine.lock, &mine.rlock,
                     &mine.semaphore, &mine.event, &mine.condition, &mine.barrier, &mine.shm) != SPORK_OK)
        return wrong(1, "unpack");
    if (memcmp(&mine, o, sizeof mine) != 0) return wrong(2, "another object");
    int code = use_lock(&mine);
    if (code != 0) return code;
    if (spork_connection_send_bytes(mine.connection, "sent", 4, harness_patience_ms()) != SPORK_OK)
        return wrong(6, "send");
    if (spork_queue_put(mine.queue, spork_pack("put"), 0) != SPORK_OK) return wrong(7, "put");
    if (spork_semaphore_release(mine.semaphore) != SPORK_OK) return wrong(8, "semaphore");
    if (spork_event_set(mine.event) != SPORK_OK) return wrong(9, "event");
    if (spork_barrier_wait(mine.barrier, NULL, 0) != SPORK_OK) return wrong(10, "barrier");
    strcpy(spork_shm_data(mine.shm), "written");
    return 0;
}

int threads_take_queue(const spork_args *args)
{
    spork_queue *queue, **place;
    bool keep;
    if (spork_unpack(args, &queue, &keep, spork_pointer_into(&place)) != SPORK_OK)
        return wrong(1, "threads_take_queue");
    *place = queue;
    if (keep && spork_keep(queue) != SPORK_OK) return wrong(2, "threads_take_queue");
    return spork_queue_put(queue, spork_pack(7), 0) == SPORK_OK ? 0 : wrong(3, "threads_take_queue");
}

int threads_free_queue(const spork_args *args)
{
    spork_queue *queue;
    bool keep;
    if (spork_unpack(args, &queue, &keep) != SPORK_OK) return wrong(1, "threads_free_queue");
    if (keep && spork_keep(queue) != SPORK_OK) return wrong(2, "threads_free_queue");
    spork_queue_free(queue);
    return 0;
}

int threads_say(const spork_args *args)
{
    spork_connection *connection;
    spork_event *go;
    const char *text;
    if (spork_unpack(args, &connection, &text, &go) != SPORK_OK) return wrong(1, "threads_say");
    if (spork_connection_send_bytes(connection, text, strlen(text), harness_patience_ms()) != SPORK_OK)
        return wrong(2, "threads_say");
    return spork_event_wait(go, harness_patience_ms()) == SPORK_OK ? 0 : wrong(3, "threads_say");
}

int threads_put_numbers(const spork_args *args)
{
    spork_queue *queue;
    int count;
    if (spork_unpack(args, &queue, &count) != SPORK_OK) return wrong(1, "threads_put_numbers");
    for (int i = 0; i < count; i++)
        if (spork_queue_put(queue, spork_pack(i), harness_patience_ms()) != SPORK_OK)
            return wrong(2, "threads_put_numbers");
    return spork_queue_close(queue) == SPORK_OK ? 0 : wrong(3, "threads_put_numbers");
}

int threads_run(void *self, const spork_args *args)
{
    threads_self *me = self;
    int more;
    if (spork_unpack(args, &more) != SPORK_OK || strcmp(me->text, "self") != 0) return wrong(-1, "threads_run");
    int sum = me->code + more;
    me->code = -2;
    *me->told = me;
    return sum;
}

/* ---- the end of a thread ---- */

/* With two events more it says that it has the lock, and waits. */
static int end_with(spork_status taken, spork_event *there, spork_event *go)
{
    if (taken != SPORK_OK) return wrong(1, "end_with");
    return there == NULL || say_and_wait(there, go) ? 0 : wrong(2, "end_with");
}

int threads_end_with_lock(const spork_args *args)
{
    spork_lock *lock;
    spork_event *there = NULL, *go = NULL;
    if ((args->count == 1 ? spork_unpack(args, &lock) : spork_unpack(args, &lock, &there, &go)) != SPORK_OK) return 111;
    return end_with(spork_lock_acquire(lock, harness_patience_ms()), there, go);
}

int threads_end_with_rlock(const spork_args *args)
{
    spork_rlock *lock;
    spork_event *there = NULL, *go = NULL;
    if ((args->count == 1 ? spork_unpack(args, &lock) : spork_unpack(args, &lock, &there, &go)) != SPORK_OK) return 111;
    return end_with(spork_rlock_acquire(lock, harness_patience_ms()), there, go);
}

int threads_end_with_condition(const spork_args *args)
{
    spork_condition *condition;
    spork_event *there = NULL, *go = NULL;
    if ((args->count == 1 ? spork_unpack(args, &condition) : spork_unpack(args, &condition, &there, &go)) != SPORK_OK)
        return 111;
    return end_with(spork_condition_acquire(condition, harness_patience_ms()), there, go);
}

static void clean_up(void *done)
{
    spork_sleep(100); /* a join that does not wait for it is sooner */
    *(volatile bool *)done = true;
}

#ifdef _WIN32
static DWORD key;
static void WINAPI clean_up_here(void *done)
{
    if (done != NULL) clean_up(done);
}
static bool at_thread_end(void *done)
{
    if (key == 0) key = FlsAlloc(clean_up_here);
    return key != FLS_OUT_OF_INDEXES && FlsSetValue(key, done);
}
#else
static pthread_key_t key;
static bool at_thread_end(void *done)
{
    static bool made;
    if (!made) made = pthread_key_create(&key, clean_up) == 0;
    return made && pthread_setspecific(key, done) == 0;
}
#endif

int threads_clean_up(const spork_args *args)
{
    void *done;
    if (spork_unpack(args, spork_pointer_into(&done)) != SPORK_OK) return wrong(111, "threads_clean_up");
    return at_thread_end(done) ? 0 : wrong(1, "threads_clean_up");
}

/* ---- threads that start threads ---- */

int threads_family(const spork_args *args)
{
    int depth, count = 1;
    if (spork_unpack(args, &depth) != SPORK_OK) return wrong(-1, "threads_family");
    spork_thread *children[2] = {NULL, NULL};
    for (int i = 0; depth > 0 && i < 2; i++) {
        children[i] = spork_thread_new(threads_family, spork_pack(depth - 1));
        if (spork_thread_start(children[i]) != SPORK_OK) return wrong(-2, "threads_family");
    }
    for (int i = 0; depth > 0 && i < 2; i++) {
        if (spork_thread_join(children[i], harness_patience_ms()) != SPORK_OK) return wrong(-3, "threads_family");
        count += spork_thread_exitcode(children[i]);
        spork_thread_free(children[i]);
    }
    return count;
}

int threads_join_other(const spork_args *args)
{
    spork_thread *other;
    if (spork_unpack(args, spork_pointer_into(&other)) != SPORK_OK) return wrong(-1, "threads_join_other");
    if (spork_thread_join(other, harness_patience_ms()) != SPORK_OK) return wrong(-2, "threads_join_other");
    int code = spork_thread_exitcode(other);
    spork_thread_free(other);
    return code;
}

/* ---- threads that start processes ---- */

static int run_process(spork_target target, spork_args args)
{
    spork_process *process = spork_process_new(target, args);
    if (spork_process_start(process) != SPORK_OK) return wrong(-1, "start of a process");
    if (spork_process_join(process, harness_patience_ms()) != SPORK_OK) return wrong(-2, "join of a process");
    int code = spork_process_exitcode(process);
    spork_process_free(process);
    return code;
}

int threads_start_process(const spork_args *args)
{
    int code;
    if (spork_unpack(args, &code) != SPORK_OK) return wrong(-3, "threads_start_process");
    return run_process(target_return, spork_pack(code));
}

int threads_check_main(const spork_args *args)
{
    (void)args;
    if (strcmp(spork_thread_name(spork_current_thread()), "MainThread") != 0) return 1;
    if (!spork_thread_is_alive(spork_current_thread())) return 2;
    return spork_active_threads(NULL, 0) == 0 ? 0 : 3;
}

int threads_start_checked(const spork_args *args)
{
    (void)args;
    return run_process(threads_check_main, SPORK_NO_ARGS);
}

int threads_leave_process(const spork_args *args)
{
    spork_process **place;
    harness_end *writer, *barrier;
    if (spork_unpack(args, spork_pointer_into(&place), harness_take(&writer), harness_take(&barrier)) != SPORK_OK)
        return wrong(1, "threads_leave_process");
    *place = spork_process_new(target_hold, spork_pack(harness_give(writer), harness_give(barrier)));
    return spork_process_start(*place) == SPORK_OK ? 0 : wrong(2, "threads_leave_process");
}

/* ---- processes that start threads ---- */

static int write_name(const spork_args *args)
{
    harness_end *writer;
    char line[160];
    if (spork_unpack(args, harness_take(&writer)) != SPORK_OK) return wrong(1, "write_name");
    int n = snprintf(line, sizeof line, "%s\n", spork_thread_name(spork_current_thread()));
    return harness_write(writer, line, (size_t)n) ? 0 : 2;
}

int threads_inside(const spork_args *args)
{
    harness_end *writer;
    if (spork_unpack(args, harness_take(&writer)) != SPORK_OK) return wrong(11, "threads_inside");
    int code = write_name(args);
    for (int i = 0; i < 3 && code == 0; i++) {
        spork_thread *thread = spork_thread_new(write_name, spork_pack(harness_give(writer)));
        if (spork_thread_start(thread) != SPORK_OK || spork_thread_join(thread, harness_patience_ms()) != SPORK_OK)
            return wrong(12, "threads_inside");
        code = spork_thread_exitcode(thread);
        spork_thread_free(thread);
    }
    return code;
}

static int add_ones(const spork_args *args)
{
    spork_queue *queue;
    spork_lock *lock;
    spork_shm *block;
    int count;
    if (spork_unpack(args, &queue, &lock, &block, &count) != SPORK_OK) return wrong(1, "add_ones");
    int *sum = spork_shm_data(block);
    for (int i = 0; i < count; i++) {
        if (spork_lock_acquire(lock, harness_patience_ms()) != SPORK_OK) return wrong(2, "add_ones");
        *sum += 1;
        if (spork_lock_release(lock) != SPORK_OK) return wrong(3, "add_ones");
    }
    return spork_queue_put(queue, spork_pack(1), harness_patience_ms()) == SPORK_OK ? 0 : wrong(4, "add_ones");
}

int threads_share_inside(const spork_args *args)
{
    spork_thread *threads[4];
    int code = 0;
    for (int i = 0; i < 4; i++) {
        threads[i] = spork_thread_new(add_ones, *args);
        if (spork_thread_start(threads[i]) != SPORK_OK) return wrong(11, "threads_share_inside");
    }
    for (int i = 0; i < 4; i++) {
        if (spork_thread_join(threads[i], harness_patience_ms()) != SPORK_OK) return wrong(12, "threads_share_inside");
        if (spork_thread_exitcode(threads[i]) != 0) code = spork_thread_exitcode(threads[i]);
        spork_thread_free(threads[i]);
    }
    return code;
}

static int write_after_barrier(const spork_args *args)
{
    harness_end *writer, *barrier;
    char byte;
    if (spork_unpack(args, harness_take(&writer), harness_take(&barrier)) != SPORK_OK)
        return wrong(1, "write_after_barrier");
    harness_read(barrier, &byte, 1);
    return harness_write(writer, "thread.", 7) ? 0 : 2;
}

int threads_left_inside(const spork_args *args)
{
    harness_end *writer, *barrier;
    spork_thread_options options = {.target = write_after_barrier};
    if (spork_unpack(args, harness_take(&writer), harness_take(&barrier), &options.daemon) != SPORK_OK)
        return wrong(11, "threads_left_inside");
    options.args = spork_pack(harness_give(writer), harness_give(barrier));
    spork_thread *thread = spork_thread_new_with(&options);
    if (spork_thread_start(thread) != SPORK_OK) return wrong(12, "threads_left_inside");
    spork_thread_free(thread);
    return harness_write(writer, "target.", 7) ? 5 : 13;
}

/* ---- others ---- */

int threads_of_system(void)
{
    int count = 0;
#ifdef __linux__
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL) return 0;
    for (struct dirent *e; (e = readdir(tasks)) != NULL;) count += e->d_name[0] != '.';
    closedir(tasks);
#endif
    return count;
}

/* ThreadSanitizer still knows the parent's threads there, and gives up when a new one lies where one of them did. */
#if defined(__SANITIZE_THREAD__)
#define THREADS_MAY_START_AFTER_FORK 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREADS_MAY_START_AFTER_FORK 0
#endif
#endif
#ifndef THREADS_MAY_START_AFTER_FORK
#define THREADS_MAY_START_AFTER_FORK 1
#endif

#ifndef _WIN32
static int check_forked(spork_thread *running, spork_thread *fresh)
{
    if (spork_thread_join(running, 0) != SPORK_NOT_YOURS) return 1;
    if (strstr(spork_error(), "spork_thread_join") == NULL) return 2;
    if (spork_thread_join(running, SPORK_FOREVER) != SPORK_NOT_YOURS) return 3;
    if (spork_thread_start(fresh) != SPORK_NOT_YOURS) return 4;
    if (spork_thread_start(running) == SPORK_OK) return 5;
    if (spork_thread_is_alive(running) || spork_thread_is_alive(fresh)) return 6;
    if (spork_active_threads(NULL, 0) != 0) return 7;
    if (strcmp(spork_thread_name(running), "held") != 0) return 8;
    spork_thread_free(running); /* the parent's stay as they are */
    spork_thread_free(fresh);
    if (THREADS_MAY_START_AFTER_FORK) {
        spork_thread *own = spork_thread_new(threads_family, spork_pack(1));
        if (spork_thread_start(own) != SPORK_OK) return wrong(9, "start");
        if (spork_thread_join(own, harness_patience_ms()) != SPORK_OK) return wrong(10, "join");
        if (spork_thread_exitcode(own) != 3) return 11;
        spork_thread_free(own);
    }
    spork_shutdown(); /* does not wait for the parent's threads */
    return 0;
}
#endif

int threads_fork(spork_thread *running, spork_thread *fresh)
{
#ifdef _WIN32
    (void)running, (void)fresh;
    return -1;
#else
    int status = 0, pid = spork_fork();
    if (pid == 0) _exit(check_forked(running, fresh));
    if (pid < 0 || waitpid(pid, &status, 0) != pid) return 100;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 101;
#endif
}

threads_fault threads_start_under_fault(spork__fault_door door, long nth, int code)
{
    threads_fault result = {.second = SPORK_BAD_STATE};
    spork__fault_arm(door, nth, code, false);
    spork_thread *thread = spork_thread_new(target_return, spork_pack(7));
    result.made = thread != NULL;
    result.status = result.made ? spork_thread_start(thread) : spork_last_status();
    result.calls = spork__fault_count(door);
    spork__fault_arm(door, 0, 0, false);
    result.started = result.made && result.status == SPORK_OK;
    if (!result.started) snprintf(result.sentence, sizeof result.sentence, "%s", spork_error());
    if (result.made && !result.started) result.second = spork_thread_start(thread);
    if (result.made && spork_thread_join(thread, harness_patience_ms()) == SPORK_OK)
        result.exitcode = spork_thread_exitcode(thread);
    spork_thread_free(thread);
    return result;
}

/* ---- programs ---- */

/* What is to come after main's end: long after it, however slow the machine is. NOTICED_MS: and after Spork has said for whom it waits. */
enum { LATER_MS = 1500, NOTICED_MS = 6000 };

static int say_later(const spork_args *args)
{
    int ms;
    const char *text;
    if (spork_unpack(args, &ms, &text) != SPORK_OK) return wrong(1, "say_later");
    spork_sleep(ms);
    printf("%s\n", text);
    fflush(stdout);
    return 0;
}

/* Starts it and lets go. */
static void start_and_free(spork_thread *thread)
{
    SPORK_MUST(spork_thread_start(thread));
    spork_thread_free(thread);
}

static int start_another(const spork_args *args)
{
    (void)args;
    spork_sleep(LATER_MS);
    printf("thread ends\n");
    start_and_free(spork_thread_new(say_later, spork_pack(100, "the other ends")));
    return 0;
}

static int exit_7(const spork_args *args)
{
    (void)args;
    exit(7);
}

/* Uses whatever it can, until the process ends. */
static int never_rest(const spork_args *args)
{
    spork_lock *lock;
    spork_queue *queue;
    spork_semaphore *begun;
    spork_args *message;
    if (spork_unpack(args, &lock, &queue, &begun) != SPORK_OK) return wrong(1, "never_rest");
    SPORK_MUST(spork_semaphore_release(begun));
    for (volatile bool more = true; more;) {
        if (spork_lock_acquire(lock, SPORK_FOREVER) == SPORK_OK) spork_lock_release(lock);
        spork_queue_put(queue, spork_pack("a text", 1), 1);
        if (spork_queue_get(queue, &message, 1) == SPORK_OK) spork_args_free(message);
        spork_thread_is_alive(spork_current_thread());
        spork_queue_get(NULL, &message, 0);
    }
    return 0;
}

static void start_restless(void)
{
    spork_lock *lock = spork_lock_new();
    spork_queue *queue = spork_queue_new(4, 0);
    spork_semaphore *begun = spork_semaphore_new(0, 0);
    for (int i = 0; i < 4; i++) {
        spork_thread_options options = {.target = never_rest, .daemon = true};
        options.args = spork_pack(lock, queue, begun);
        start_and_free(spork_thread_new_with(&options));
    }
    for (int i = 0; i < 4; i++) SPORK_MUST(spork_semaphore_acquire(begun, SPORK_FOREVER));
}

static void log_to_stdout(spork_log_level level, const char *process, int pid, const char *text, void *user)
{
    (void)level, (void)process, (void)pid, (void)user;
    printf("log: %s\n", text);
    fflush(stdout);
}

/* Of a thread that nobody frees: a leak checker shall know it. */
static spork_thread *volatile kept;

/* Starts a thread that says "thread ends" after so many milliseconds. */
static spork_thread *start_later(int ms, const char *name, bool daemon)
{
    spork_thread_options options = {.target = say_later, .name = name, .daemon = daemon};
    options.args = spork_pack(ms, "thread ends");
    spork_thread *thread = spork_thread_new_with(&options);
    SPORK_MUST(spork_thread_start(thread));
    return kept = thread;
}

int threads_scenario_end(const char *how)
{
    enum { A_MINUTE = 60000 };
    bool is_without_init = strcmp(how, "without init") == 0;
    if (!is_without_init) SPORK_MUST(spork_init(0, NULL));
    if (strcmp(how, "waits") == 0) {
        start_later(LATER_MS, NULL, false);
    } else if (strcmp(how, "waits for freed") == 0) {
        spork_thread_free(start_later(LATER_MS, NULL, false));
    } else if (strcmp(how, "daemon") == 0) {
        start_later(A_MINUTE, NULL, true);
    } else if (strcmp(how, "bounded") == 0) {
        harness_setenv("SPORK_EXIT_WAIT_MS", "200");
        start_later(A_MINUTE, NULL, false);
    } else if (strcmp(how, "slow") == 0) {
        spork_set_log(SPORK_LOG_WARNING, log_to_stdout, NULL);
        start_later(NOTICED_MS, NULL, false);
    } else if (strcmp(how, "left") == 0) {
        spork_set_log(SPORK_LOG_WARNING, log_to_stdout, NULL);
        harness_setenv("SPORK_EXIT_WAIT_MS", "100");
        spork_thread_free(start_later(A_MINUTE, "the slow one", false));
    } else if (strcmp(how, "shutdown") == 0) {
        start_later(LATER_MS, NULL, false);
        spork_shutdown();
        printf("shut down\n");
    } else if (strcmp(how, "by exit") == 0) { /* in a thread, which cannot wait for itself, but for the other */
        start_later(LATER_MS, NULL, false);
        spork_thread *thread = spork_thread_new(exit_7, SPORK_NO_ARGS);
        SPORK_MUST(spork_thread_start(thread));
        spork_thread_join(thread, SPORK_FOREVER);
        spork_sleep(SPORK_FOREVER);
    } else if (strcmp(how, "both") == 0) {
        spork_process *process = spork_process_new(say_later, spork_pack(3 * LATER_MS, "process ends"));
        SPORK_MUST(spork_process_start(process));
        spork_process_free(process);
        start_later(LATER_MS, NULL, false);
    } else if (strcmp(how, "starts another") == 0) {
        start_and_free(spork_thread_new(start_another, SPORK_NO_ARGS));
    } else if (strcmp(how, "restless") == 0) {
        start_restless();
    } else if (is_without_init) {
        SPORK_MUST(spork_thread_join(start_later(0, NULL, false), SPORK_FOREVER));
    } else {
        fprintf(stderr, "there is no end %s\n", how);
        return 64;
    }
    printf("main ends\n");
    return 0;
}
