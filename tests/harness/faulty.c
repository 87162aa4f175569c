#include "faulty.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "handles.h"

enum { LARGE = 200000 };

/* The sentence outlives what is done after it. */
static char kept[1024];

static spork_status keep(spork_status status)
{
    if (status != SPORK_OK) snprintf(kept, sizeof kept, "%s", spork_error());
    return status;
}

static spork_status give_back(spork_status status)
{
    return status == SPORK_OK ? status : spork__fail(status, "%s", kept);
}

static spork_status wrong(const char *what) { return spork__fail(SPORK_INTERNAL, "wrong: %s", what); }
static spork_status right_if(bool right, const char *what) { return right ? SPORK_OK : wrong(what); }
/* What a constructor said. */
static spork_status made(const void *object) { return object != NULL ? SPORK_OK : spork_last_status(); }

/* Does the next step if all was well so far. */
#define THEN(call)                                                                                                     \
    do                                                                                                                 \
        if (status == SPORK_OK) status = keep(call);                                                                   \
    while (0)

/* ---- connections ---- */

static spork_status get_values(spork_connection *from, int number, const char *text)
{
    spork_args *args;
    int n = 0;
    const char *t = "";
    spork_status status = spork_connection_recv(from, &args, harness_helper_patience_ms());
    if (status != SPORK_OK) return status;
    status = spork_unpack(args, &n, &t);
    if (status == SPORK_OK) status = right_if(n == number && strcmp(t, text) == 0, "values");
    spork_args_free(args);
    return status;
}

static spork_status get_bytes(spork_connection *from, size_t size)
{
    static char room[5000];
    size_t got = 0;
    spork_status status = spork_connection_recv_bytes(from, room, sizeof room, &got, harness_helper_patience_ms());
    if (status != SPORK_OK) return status;
    return right_if(got == size && (size == 0 || (room[0] == 'x' && room[size - 1] == 'x')), "bytes");
}

static spork_status talk(spork_connection *reader, spork_connection *writer)
{
    char bytes[5000];
    memset(bytes, 'x', sizeof bytes);
    spork_status status = keep(spork_connection_send(writer, spork_pack(7, "seven"), harness_helper_patience_ms()));
    THEN(get_values(reader, 7, "seven"));
    THEN(spork_connection_send_bytes(writer, bytes, sizeof bytes, harness_helper_patience_ms()));
    THEN(spork_connection_send_bytes(writer, bytes, 0, harness_helper_patience_ms()));
    THEN(spork_connection_poll(reader, harness_helper_patience_ms()));
    THEN(get_bytes(reader, sizeof bytes));
    THEN(get_bytes(reader, 0));
    return status;
}

static spork_status use_pipe(void)
{
    spork_connection *reader = NULL, *writer = NULL;
    spork_status status = keep(spork_pipe(&reader, &writer));
    THEN(talk(reader, writer));
    spork_connection_free(reader);
    spork_connection_free(writer);
    return give_back(status);
}

static spork_status take_lock(spork_connection *from)
{
    spork_args *args;
    spork_lock *lock = NULL;
    spork_status status = keep(spork_connection_recv(from, &args, harness_helper_patience_ms()));
    if (status != SPORK_OK) return status;
    THEN(spork_unpack(args, &lock));
    THEN(spork_lock_acquire(lock, harness_helper_patience_ms()));
    THEN(spork_lock_release(lock));
    spork_args_free(args);
    return give_back(status);
}

static spork_status use_duplex(void)
{
    spork_connection *a = NULL, *b = NULL;
    spork_lock *lock = NULL;
    spork_status status = keep(spork_pipe_duplex(&a, &b));
    THEN(talk(a, b));
    THEN(talk(b, a));
    THEN(made(lock = spork_lock_new()));
    THEN(spork_connection_send(a, spork_pack(lock), harness_helper_patience_ms()));
    THEN(take_lock(b));
    spork_lock_free(lock);
    spork_connection_free(a);
    spork_connection_free(b);
    return give_back(status);
}

/* The writing end leaves the library, and comes back. */
static spork_status use_handle(void)
{
    spork_connection *reader = NULL, *writer = NULL;
    spork_handle *handle = NULL;
    spork_native native = -1;
    spork_status status = keep(spork_pipe(&reader, &writer));
    THEN(made(handle = spork_handle_new(spork_connection_handle(writer))));
    spork_connection_free(writer);
    writer = NULL;
    if (status == SPORK_OK) native = spork_handle_detach(handle);
    THEN(made(writer = spork_connection_from(native, SPORK_WRITE)));
    if (writer == NULL && native != -1) handles_close(native); /* it is still ours */
    THEN(talk(reader, writer));
    spork_connection_free(reader);
    spork_connection_free(writer);
    return give_back(status);
}

/* ---- queues ---- */

static spork_status get_message(spork_queue *queue, size_t size)
{
    static char room[LARGE];
    size_t got = 0;
    spork_status status = spork_queue_get_bytes(queue, room, sizeof room, &got, harness_helper_patience_ms());
    if (status != SPORK_OK) return status;
    return right_if(got == size && room[0] == 'q' && room[size - 1] == 'q', "a message");
}

static spork_status get_number(spork_queue *queue, int number)
{
    spork_args *args;
    int n = 0;
    spork_status status = spork_queue_get(queue, &args, harness_helper_patience_ms());
    if (status != SPORK_OK) return status;
    status = spork_unpack(args, &n);
    if (status == SPORK_OK) status = right_if(n == number, "a number");
    spork_args_free(args);
    return status;
}

static spork_status use_queue(void)
{
    static char bytes[LARGE];
    memset(bytes, 'q', sizeof bytes);
    spork_queue *queue = spork_queue_new(0, 2 * LARGE);
    spork_status status = keep(made(queue));
    THEN(spork_queue_put(queue, spork_pack(5), harness_helper_patience_ms()));
    THEN(spork_queue_put_bytes(queue, bytes, 100, harness_helper_patience_ms()));
    THEN(spork_queue_put_bytes(queue, bytes, sizeof bytes, harness_helper_patience_ms()));
    THEN(get_number(queue, 5));
    THEN(get_message(queue, 100));
    THEN(get_message(queue, sizeof bytes));
    THEN(right_if(spork_queue_size(queue) == 0, "the size"));
    THEN(spork_queue_close(queue));
    spork_queue_free(queue);
    return give_back(status);
}

/* ---- locks ---- */

static spork_status use_locks(void)
{
    spork_lock *lock = spork_lock_new();
    spork_status status = keep(made(lock));
    spork_rlock *again = NULL;
    spork_condition *condition = NULL;
    THEN(spork_lock_acquire(lock, harness_helper_patience_ms()));
    THEN(spork_lock_release(lock));
    THEN(made(again = spork_rlock_new()));
    THEN(spork_rlock_acquire(again, harness_helper_patience_ms()));
    THEN(spork_rlock_release(again));
    THEN(made(condition = spork_condition_new()));
    THEN(spork_condition_acquire(condition, harness_helper_patience_ms()));
    THEN(right_if(spork_condition_wait(condition, 1) == SPORK_TIMEOUT, "a wait that nobody ends"));
    THEN(spork_condition_notify_all(condition));
    THEN(spork_condition_release(condition));
    spork_lock_free(lock);
    spork_rlock_free(again);
    spork_condition_free(condition);
    return give_back(status);
}

static spork_status use_counters(void)
{
    spork_semaphore *semaphore = spork_semaphore_new(1, 2);
    spork_status status = keep(made(semaphore));
    spork_event *event = NULL;
    spork_barrier *barrier = NULL;
    unsigned index = 0;
    THEN(spork_semaphore_acquire(semaphore, harness_helper_patience_ms()));
    THEN(right_if(spork_semaphore_acquire(semaphore, 1) == SPORK_TIMEOUT, "a permit too many"));
    THEN(spork_semaphore_release(semaphore));
    THEN(made(event = spork_event_new()));
    THEN(right_if(spork_event_wait(event, 1) == SPORK_TIMEOUT, "a wait that nobody ends"));
    THEN(spork_event_set(event));
    THEN(spork_event_wait(event, harness_helper_patience_ms()));
    THEN(made(barrier = spork_barrier_new(1)));
    THEN(spork_barrier_wait(barrier, &index, harness_helper_patience_ms()));
    spork_semaphore_free(semaphore);
    spork_event_free(event);
    spork_barrier_free(barrier);
    return give_back(status);
}

/* ---- shared memory ---- */

static spork_status use_shm(void)
{
    spork_shm *shm = spork_shm_new(100000);
    spork_status status = keep(made(shm));
    if (status == SPORK_OK) memset(spork_shm_data(shm), 1, spork_shm_size(shm));
    spork_shm_free(shm);
    return give_back(status);
}

/* One's own: others may be at the same beside this process. */
static const char *name(void)
{
    static char text[40];
    snprintf(text, sizeof text, "faulty-%d", spork_getpid());
    return text;
}

static spork_status use_named(spork_lifetime lifetime)
{
    spork_shm *shm = spork_shm_create(name(), 5000, lifetime), *other = NULL;
    spork_status status = keep(made(shm));
    if (status == SPORK_OK) memcpy(spork_shm_data(shm), "named", 6);
    THEN(made(other = spork_shm_open(name())));
    THEN(right_if(memcmp(spork_shm_data(other), "named", 6) == 0, "the content"));
    if (lifetime == SPORK_MANUAL) THEN(spork_shm_remove(name()));
    spork_shm_free(other);
    spork_shm_free(shm);
    return give_back(status);
}

static spork_status use_manual(void) { return use_named(SPORK_MANUAL); }
static spork_status use_creators(void) { return use_named(SPORK_CREATOR); }

void faulty_tidy(void)
{
    if (spork_shm_remove(name()) != SPORK_OK) return; /* most often there is none */
}

/* ---- processes with objects, under each start method ---- */

enum { FINE = 7 };

static int in_child(const spork_args *args)
{
    spork_queue *queue;
    spork_lock *lock;
    spork_shm *shm;
    spork_connection *writer;
    if (spork_unpack(args, &queue, &lock, &shm, &writer) != SPORK_OK) return 1;
    if (spork_lock_acquire(lock, harness_helper_patience_ms()) != SPORK_OK) return 2;
    ++*(int *)spork_shm_data(shm);
    if (spork_lock_release(lock) != SPORK_OK) return 3;
    if (spork_queue_put(queue, spork_pack(5), harness_helper_patience_ms()) != SPORK_OK) return 4;
    if (spork_connection_send(writer, spork_pack(7, "seven"), harness_helper_patience_ms()) != SPORK_OK) return 5;
    return FINE;
}

/* A child that met a fault says so by its exit code. Whether it did its work is asked only of one that says it did. */
static spork_status check_child(spork_process *process, spork_queue *queue, spork_connection *reader, const spork_shm *shm)
{
    spork_status status = keep(spork_process_join(process, harness_helper_patience_ms()));
    int code = spork_process_exitcode(process);
    if (status == SPORK_OK && code != FINE && code != SPORK_EXIT_UNKNOWN)
        return spork__fail(SPORK_FAILED, "the child ended with %d", code);
    if (code == SPORK_EXIT_UNKNOWN) return status;
    THEN(get_number(queue, 5));
    THEN(get_values(reader, 7, "seven"));
    THEN(right_if(*(const int *)spork_shm_data(shm) == 1, "the count"));
    return status;
}

static spork_status use_process(spork_start_method method)
{
    spork_queue *queue = spork_queue_new(0, 65536);
    spork_status status = keep(made(queue));
    spork_lock *lock = NULL;
    spork_shm *shm = NULL;
    spork_process *process = NULL;
    spork_connection *reader = NULL, *writer = NULL;
    spork_process_options options;
    memset(&options, 0, sizeof options);
    THEN(made(lock = spork_lock_new()));
    THEN(made(shm = spork_shm_new(sizeof(int))));
    THEN(spork_pipe(&reader, &writer));
    options.target = in_child;
    options.args = spork_pack(queue, lock, shm, writer);
    options.name = "Faulty";
    options.method = method;
    THEN(made(process = spork_process_new_with(&options)));
    THEN(spork_process_start(process));
    THEN(check_child(process, queue, reader, shm));
    spork_process_free(process);
    spork_connection_free(reader);
    spork_connection_free(writer);
    spork_shm_free(shm);
    spork_lock_free(lock);
    spork_queue_free(queue);
    return give_back(status);
}

#ifndef _WIN32
static spork_status use_fork(void) { return use_process(SPORK_FORK); }
static spork_status use_forkserver(void) { return use_process(SPORK_FORKSERVER); }
#endif
static spork_status use_spawn(void) { return use_process(SPORK_SPAWN); }

/* ---- threads ---- */

static int in_thread(const spork_args *args)
{
    int n;
    return spork_unpack(args, &n) == SPORK_OK ? n : 1;
}

static spork_status use_thread(void)
{
    spork_thread *thread = spork_thread_new(in_thread, spork_pack((int)FINE));
    spork_status status = keep(made(thread));
    THEN(spork_thread_start(thread));
    THEN(spork_thread_join(thread, harness_helper_patience_ms()));
    THEN(right_if(spork_thread_exitcode(thread) == FINE, "the thread's result"));
    spork_thread_free(thread);
    return give_back(status);
}

/* ---- pools ---- */

static int square(const spork_args *args, spork_task *task)
{
    int n;
    if (spork_unpack(args, &n) != SPORK_OK) return 1;
    return spork_return(task, n * n);
}

static int square_item(const void *in, void *out, spork_task *task)
{
    const int *n = in;
    int *result = out;
    (void)task;
    *result = *n * *n;
    return 0;
}

static spork_status apply(spork_pool *pool)
{
    spork_args *result = NULL;
    int n = 0;
    spork_status status = spork_pool_apply(pool, square, spork_pack(6), &result, harness_helper_patience_ms());
    if (status != SPORK_OK) return status;
    status = spork_unpack(result, &n);
    if (status == SPORK_OK) status = right_if(n == 36, "a result");
    spork_args_free(result);
    return status;
}

static spork_status map(spork_pool *pool)
{
    int in[10], out[10] = {0};
    for (int i = 0; i < 10; i++) in[i] = i;
    spork_status status = spork_pool_map(pool, square_item, in, out, 10, NULL);
    for (int i = 0; i < 10 && status == SPORK_OK; i++) status = right_if(out[i] == i * i, "an item");
    return status;
}

static spork_status later(spork_pool *pool)
{
    spork_future *future = NULL;
    int n = 0;
    spork_status status = keep(spork_pool_apply_async(pool, square, spork_pack(5), NULL, &future));
    THEN(spork_future_get(future, harness_helper_patience_ms(), &n));
    THEN(right_if(n == 25, "a later result"));
    spork_future_free(future);
    return give_back(status);
}

static spork_status use_pool(spork_start_method method, bool threads)
{
    spork_pool_options options;
    memset(&options, 0, sizeof options);
    options.workers = 1;
    options.method = method;
    options.threads = threads;
    spork_pool *pool = spork_pool_new_with(&options);
    spork_status status = keep(made(pool));
    THEN(apply(pool));
    THEN(map(pool));
    THEN(later(pool));
    if (pool != NULL) { /* in any case, and in time */
        spork_status end = spork_pool_shutdown(pool, harness_helper_patience_ms());
        if (status == SPORK_OK) status = keep(end);
    }
    spork_pool_free(pool);
    return give_back(status);
}

#ifndef _WIN32
static spork_status use_pool_fork(void) { return use_pool(SPORK_FORK, false); }
static spork_status use_pool_forkserver(void) { return use_pool(SPORK_FORKSERVER, false); }
#endif
static spork_status use_pool_spawn(void) { return use_pool(SPORK_SPAWN, false); }
static spork_status use_pool_threads(void) { return use_pool(SPORK_DEFAULT, true); }

const faulty_use *faulty_uses(size_t *count)
{
    static const faulty_use uses[] = {
        {"Pipe", use_pipe, false},
        {"Duplex", use_duplex, false},
        {"Handle", use_handle, false},
        {"Queue", use_queue, false},
        {"Locks", use_locks, false},
        {"Counters", use_counters, false},
        {"Shm", use_shm, false},
        {"ShmManual", use_manual, false},
        {"ShmOfCreator", use_creators, false},
        {"Thread", use_thread, false},
        {"Spawn", use_spawn, false},
        {"PoolOfThreads", use_pool_threads, true},
        {"PoolSpawn", use_pool_spawn, true},
#ifndef _WIN32
        {"Fork", use_fork, false},
        {"Forkserver", use_forkserver, false},
        {"PoolFork", use_pool_fork, true},
        {"PoolForkserver", use_pool_forkserver, true},
#endif
    };
    *count = sizeof uses / sizeof uses[0];
    return uses;
}
