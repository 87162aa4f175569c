/* Three ways to do several things at once: many processes, many threads, and both. The same function counts in all of them, in a global
 * variable and in shared memory, and what comes of it shows what they share. */
#include <spork/spork.h>
#include <stdio.h>

enum { TIMES = 1000, MOST = 4 };

static int global; /* each process has one of its own */

/* Serves processes and threads alike. */
static int count(const spork_args *args)
{
    spork_shm *memory;
    spork_lock *lock;
    if (spork_unpack(args, &memory, &lock) != SPORK_OK) return 1;
    int *shared = spork_shm_data(memory);
    for (int i = 0; i < TIMES; i++) {
        SPORK_MUST(spork_lock_acquire(lock, SPORK_FOREVER));
        global += 1;
        *shared += 1;
        SPORK_MUST(spork_lock_release(lock));
    }
    return 0;
}

static void run_threads(int number, spork_shm *memory, spork_lock *lock)
{
    spork_thread *threads[MOST];
    for (int i = 0; i < number; i++) {
        threads[i] = spork_thread_new(count, spork_pack(memory, lock));
        SPORK_MUST(spork_thread_start(threads[i]));
    }
    for (int i = 0; i < number; i++) {
        SPORK_MUST(spork_thread_join(threads[i], SPORK_FOREVER));
        spork_thread_free(threads[i]);
    }
}

/* What a process does: it counts itself, or lets its threads do it. */
static int process(const spork_args *args)
{
    spork_shm *memory;
    spork_lock *lock;
    int threads;
    if (spork_unpack(args, &memory, &lock, &threads) != SPORK_OK) return 1;
    if (threads > 0)
        run_threads(threads, memory, lock);
    else if (count(&spork_pack(memory, lock)) != 0)
        return 1;
    printf("  %s: global %d\n", spork_process_name(spork_current_process()), global);
    return 0;
}

static void run_processes(int number, int threads, spork_shm *memory, spork_lock *lock)
{
    spork_process *processes[MOST];
    for (int i = 0; i < number; i++) {
        processes[i] = spork_process_new(process, spork_pack(memory, lock, threads));
        SPORK_MUST(spork_process_start(processes[i]));
    }
    for (int i = 0; i < number; i++) {
        SPORK_MUST(spork_process_join(processes[i], SPORK_FOREVER));
        spork_process_free(processes[i]);
    }
}

/* What this process sees of it; and begins anew. */
static void report(int *shared)
{
    printf("  %s: global %d, shared memory %d\n", spork_process_name(spork_current_process()), global, *shared);
    global = *shared = 0;
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_shm *memory = spork_shm_new(sizeof(int));
    spork_lock *lock = spork_lock_new();
    int *shared = spork_shm_data(memory);

    puts("4 processes:");
    run_processes(4, 0, memory, lock);
    report(shared);

    puts("4 threads:");
    run_threads(4, memory, lock);
    report(shared);

    puts("2 processes of 2 threads:");
    run_processes(2, 2, memory, lock);
    report(shared);

    spork_lock_free(lock);
    spork_shm_free(memory);
    return 0;
}
