/* Pool: six named tasks that nobody waits for one by one. What a task returns goes to a callback as soon as it has ended. */
#include <spork/spork.h>
#include <stdio.h>
#include <stdlib.h>

static int child_process_func(const spork_args *args, spork_task *task)
{
    const char *name;
    char message[128];
    if (spork_unpack(args, &name) != SPORK_OK) return 1;
    srand((unsigned)spork_getpid());
    spork_sleep(rand() % 300);
    snprintf(message, sizeof message, "child process, my name is %s, process id is %d, my parent's process id is %d",
             name, spork_getpid(), spork_getppid());
    return spork_return(task, message); /* copies it */
}

/* Runs in the parent, on the pool's thread: one call after the other. */
static void tell(const spork_future *future, void *user)
{
    const char *message;
    int *told = user;
    SPORK_MUST(spork_future_get(future, 0, &message));
    printf("%s\n", message);
    ++*told;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    SPORK_MUST(spork_init(argc, argv));
    printf("parent process %d\n", spork_getpid());

    int told = 0;
    spork_task_options options = {.done = tell, .user = &told};
    spork_pool *pool = spork_pool_new(6);
    for (int i = 0; i < 6; i++)
        SPORK_MUST(spork_pool_apply_async(pool, child_process_func, spork_pack(names[i]), &options, NULL));
    SPORK_MUST(spork_pool_close(pool)); /* pool_terminate.c shows the forced end */
    SPORK_MUST(spork_pool_join(pool, SPORK_FOREVER));
    spork_pool_free(pool);
    printf("end: %d results\n", told); /* join has waited for the callbacks, too */
    return 0;
}
