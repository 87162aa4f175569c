/* A program with Spork as two files: `program [fork | spawn | forkserver]`; without a word the system's default. Each part says what it did,
 * and what it expected. It is compiled as C11 and as C++17 (program.cpp). */
#include "spork.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s; last error: %s\n", __FILE__, __LINE__, #condition, spork_error());     \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { PATIENCE_MS = 60000, ROUNDS = 1000, ITEMS = 10, BAD_ITEM = 5 };

/* ---- a process, and a queue ---- */

static int send_back(const spork_args *args)
{
    const char *word;
    int number;
    double share;
    spork_queue *queue;
    if (spork_unpack(args, &word, &number, &share, &queue) != SPORK_OK) return 1;
    return spork_queue_put(queue, spork_pack(word, number + 1, share * 2), PATIENCE_MS) == SPORK_OK ? 7 : 2;
}

static void test_process(void)
{
    spork_queue *queue = spork_queue_new(0, 0);
    EXPECT(queue != NULL);
    spork_process *p = spork_process_new(send_back, spork_pack("values", 41, 0.25, queue));
    EXPECT(spork_process_start(p) == SPORK_OK);

    spork_args *back;
    const char *word;
    int number;
    double share;
    EXPECT(spork_queue_get(queue, &back, PATIENCE_MS) == SPORK_OK);
    EXPECT(spork_unpack(back, &word, &number, &share) == SPORK_OK);
    EXPECT(strcmp(word, "values") == 0 && number == 42 && share >= 0.5 && share <= 0.5);
    EXPECT(spork_process_join(p, PATIENCE_MS) == SPORK_OK);
    EXPECT(spork_process_exitcode(p) == 7);
    printf("process: \"%s\", %d and %g came back, exit code %d\n", word, number, share, spork_process_exitcode(p));
    spork_args_free(back);
    spork_process_free(p);
    spork_queue_free(queue);
}

/* ---- a lock, and shared memory ---- */

static int count_up(const spork_args *args)
{
    spork_lock *lock;
    spork_shm *shm;
    if (spork_unpack(args, &lock, &shm) != SPORK_OK) return 1;
    volatile int *count = (volatile int *)spork_shm_data(shm);
    for (int i = 0; i < ROUNDS; i++) {
        if (spork_lock_acquire(lock, PATIENCE_MS) != SPORK_OK) return 2;
        *count = *count + 1;
        if (spork_lock_release(lock) != SPORK_OK) return 3;
    }
    return 0;
}

static void test_lock(void)
{
    spork_lock *lock = spork_lock_new();
    spork_shm *shm = spork_shm_new(sizeof(int));
    spork_process *both[2];
    EXPECT(lock != NULL && shm != NULL);
    for (int i = 0; i < 2; i++) {
        both[i] = spork_process_new(count_up, spork_pack(lock, shm));
        EXPECT(spork_process_start(both[i]) == SPORK_OK);
    }
    for (int i = 0; i < 2; i++) {
        EXPECT(spork_process_join(both[i], PATIENCE_MS) == SPORK_OK);
        EXPECT(spork_process_exitcode(both[i]) == 0);
        spork_process_free(both[i]);
    }
    int count = *(int *)spork_shm_data(shm);
    EXPECT(count == 2 * ROUNDS);
    printf("lock: two processes have counted to %d in shared memory\n", count);
    spork_shm_free(shm);
    spork_lock_free(lock);
}

/* ---- a pool ---- */

static int square(const void *in, void *out, spork_task *task)
{
    int number = *(const int *)in;
    (void)task;
    if (number == BAD_ITEM) abort();
    *(int *)out = number * number;
    return 0;
}

static void test_pool(void)
{
    int in[ITEMS], out[ITEMS];
    spork_status statuses[ITEMS];
    spork_map_options options;
    memset(&options, 0, sizeof options);
    options.statuses = statuses;
    options.chunk = 1;
    for (int i = 0; i < ITEMS; i++) in[i] = i, out[i] = -1;

    spork_pool *pool = spork_pool_new(2);
    EXPECT(pool != NULL);
    EXPECT(spork_pool_map(pool, square, in, out, ITEMS, &options) == SPORK_CRASHED);
    for (int i = 0; i < ITEMS; i++) {
        EXPECT(statuses[i] == (i == BAD_ITEM ? SPORK_CRASHED : SPORK_OK));
        EXPECT(out[i] == (i == BAD_ITEM ? -1 : i * i));
    }
    printf("pool: %d squares, and item %d crashed alone\n", ITEMS - 1, BAD_ITEM);
    EXPECT(spork_pool_close(pool) == SPORK_OK);
    EXPECT(spork_pool_join(pool, PATIENCE_MS) != SPORK_TIMEOUT);
    spork_pool_free(pool);
}

/* ---- a thread ---- */

static int set_word(const spork_args *args)
{
    void *to;
    spork_event *event;
    if (spork_unpack(args, spork_pointer_into(&to), &event) != SPORK_OK) return -1;
    strcpy((char *)to, "written by a thread");
    return spork_event_set(event) == SPORK_OK ? 300 : -2;
}

static void test_thread(void)
{
    char text[32] = "";
    spork_event *event = spork_event_new();
    EXPECT(event != NULL);
    spork_thread *thread = spork_thread_new(set_word, spork_pack(spork_pointer(text), event));
    EXPECT(spork_thread_start(thread) == SPORK_OK);
    EXPECT(spork_event_wait(event, PATIENCE_MS) == SPORK_OK);
    EXPECT(spork_thread_join(thread, PATIENCE_MS) == SPORK_OK);
    EXPECT(spork_thread_exitcode(thread) == 300);
    EXPECT(strcmp(text, "written by a thread") == 0);
    printf("thread: \"%s\"\n", text);
    spork_thread_free(thread);
    spork_event_free(event);
}

static void choose_method(const char *word)
{
    static const char *const words[] = {"", "fork", "spawn", "forkserver"};
    for (int i = SPORK_FORK; i <= SPORK_FORKSERVER; i++) {
        if (strcmp(word, words[i]) != 0) continue;
        EXPECT(spork_set_start_method((spork_start_method)i) == SPORK_OK);
        EXPECT(spork_get_start_method() == (spork_start_method)i);
        return;
    }
    fprintf(stderr, "no start method: %s\n", word);
    exit(64);
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    EXPECT(spork_version_number() == SPORK_VERSION_NUMBER);
    if (argc > 1) choose_method(argv[1]);
    test_process();
    test_lock();
    test_pool();
    test_thread();
    return 0;
}
