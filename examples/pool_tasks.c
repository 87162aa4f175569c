/* Pool: four workers share five tasks; the fifth waits until one of them is free. Then the same with as many workers as CPUs. */
#include <spork/spork.h>
#include <stdio.h>
#include <stdlib.h>

enum { TASKS = 5 };

/* Runs in a worker. */
static int long_time_task(const spork_args *args, spork_task *task)
{
    int name;
    (void)task; /* it has nothing to return, and never fails */
    if (spork_unpack(args, &name) != SPORK_OK) return 1;
    printf("Run task %d (%d)...\n", name, spork_getpid());
    fflush(stdout); /* Windows keeps the line otherwise */
    double start = spork_time();
    srand((unsigned)(spork_getpid() + name));
    spork_sleep(rand() % 300);
    printf("Task %d runs %.2f seconds.\n", name, spork_time() - start);
    fflush(stdout);
    return 0;
}

static void run(spork_pool *pool)
{
    for (int i = 0; i < TASKS; i++) SPORK_MUST(spork_pool_apply_async(pool, long_time_task, spork_pack(i), NULL, NULL));
    puts("Waiting for all subprocesses done...");
    fflush(stdout);
    SPORK_MUST(spork_pool_close(pool));               /* no more tasks: before that there is nothing to join */
    SPORK_MUST(spork_pool_join(pool, SPORK_FOREVER)); /* tells of failures, too: nobody holds the tasks' futures */
    spork_pool_free(pool);
    puts("All subprocesses done.");
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    printf("Parent process %d.\n", spork_getpid());
    fflush(stdout); /* before the workers say anything */
    run(spork_pool_new(4));

    spork_pool *pool = spork_pool_new(0);
    printf("By default there is a worker for each CPU: %u.\n", spork_pool_workers(pool));
    fflush(stdout);
    run(pool);
    return 0;
}
