/* Lock: four processes add one to a shared balance, many times each. Without a lock some of it gets lost, with one nothing does. */
#include <spork/spork.h>
#include <stdio.h>

enum {
    WORKERS = 4,
    TIMES = 100000,
    MANY = 10000000 /* takes so long that the system interrupts them, be there one processor or ten */
};

static int add(const spork_args *args)
{
    spork_shm *account;
    spork_lock *lock;
    spork_barrier *start;
    bool careful;
    int times;
    if (spork_unpack(args, &account, &lock, &start, &careful, &times) != SPORK_OK) return 1;
    volatile long *balance = spork_shm_data(account);
    SPORK_MUST(spork_barrier_wait(start, NULL, SPORK_FOREVER)); /* all at once */
    for (int i = 0; i < times; i++) {
        if (careful) SPORK_MUST(spork_lock_acquire(lock, SPORK_FOREVER));
        long now = *balance; /* another process may write between this */
        *balance = now + 1;  /* and this */
        if (careful) SPORK_MUST(spork_lock_release(lock));
    }
    return 0;
}

static long run(bool careful, int times)
{
    spork_shm *account = spork_shm_new(sizeof(long));
    spork_lock *lock = spork_lock_new();
    spork_barrier *start = spork_barrier_new(WORKERS);
    spork_process *workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = spork_process_new(add, spork_pack(account, lock, start, careful, times));
        SPORK_MUST(spork_process_start(workers[i]));
    }
    for (int i = 0; i < WORKERS; i++) {
        SPORK_MUST(spork_process_join(workers[i], SPORK_FOREVER));
        spork_process_free(workers[i]);
    }
    long balance = *(long *)spork_shm_data(account);
    spork_barrier_free(start);
    spork_lock_free(lock);
    spork_shm_free(account);
    return balance;
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    long expected = (long)WORKERS * MANY, balance = expected;
    for (int i = 0; i < 50 && balance == expected; i++) balance = run(false, MANY); /* one can be lucky, but not for long */
    printf("without a lock: %s\n", balance == expected ? "right, by luck" : "wrong");
    printf("with a lock: %ld\n", run(true, TIMES));
    return 0;
}
