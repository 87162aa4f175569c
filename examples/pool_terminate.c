/* Pool: terminate instead of close. Six tasks that would take an hour are ended at once, together with their workers. */
#include <spork/spork.h>
#include <stdio.h>

enum { TASKS = 6 };

static spork_semaphore *begun; /* counts the tasks that run */

/* Runs first in each worker: objects reach it by these arguments. */
static int begin_worker(const spork_args *args) { return spork_unpack(args, &begun) == SPORK_OK ? 0 : 1; }

static int work_for_an_hour(const spork_args *args, spork_task *task)
{
    const char *name;
    if (spork_unpack(args, &name) != SPORK_OK) return 1;
    printf("%s begins\n", name);
    fflush(stdout); /* a terminated process flushes nothing */
    SPORK_MUST(spork_semaphore_release(begun));
    spork_sleep(3600 * 1000);
    return spork_return(task, "done");
}

int main(int argc, char **argv)
{
    static const char *const names[TASKS] = {"a", "b", "c", "d", "e", "f"};
    spork_future *futures[TASKS];
    SPORK_MUST(spork_init(argc, argv));
    begun = spork_semaphore_new(0, 0);
    spork_pool_options options = {.workers = TASKS, .initializer = begin_worker, .initargs = spork_pack(begun)};
    spork_pool *pool = spork_pool_new_with(&options);
    for (int i = 0; i < TASKS; i++)
        SPORK_MUST(spork_pool_apply_async(pool, work_for_an_hour, spork_pack(names[i]), NULL, &futures[i]));
    for (int i = 0; i < TASKS; i++) SPORK_MUST(spork_semaphore_acquire(begun, SPORK_FOREVER));

    puts("terminate");
    SPORK_MUST(spork_pool_terminate(pool));
    SPORK_MUST(spork_pool_join(pool, SPORK_FOREVER));
    for (int i = 0; i < TASKS; i++) {
        printf("%s: %s\n", names[i], spork_status_name(spork_future_status(futures[i])));
        spork_future_free(futures[i]);
    }
    spork_pool_free(pool);
    spork_semaphore_free(begun);
    return 0;
}
