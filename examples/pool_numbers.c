/* Pool: ten tasks for three workers. Each task says where it runs and its number, one to three times; those that find no worker free wait. */
#include <spork/spork.h>
#include <stdio.h>

static int worker(const spork_args *args, spork_task *task)
{
    int num;
    (void)task;
    if (spork_unpack(args, &num) != SPORK_OK) return 1;
    for (int i = 0; i < 1 + num % 3; i++) {
        printf("pid = %d, num=%d\n", spork_getpid(), num);
        fflush(stdout);
        spork_sleep(100);
    }
    return 0;
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_pool *pool = spork_pool_new(3);
    for (int i = 0; i < 10; i++) SPORK_MUST(spork_pool_apply_async(pool, worker, spork_pack(i), NULL, NULL));
    SPORK_MUST(spork_pool_close(pool));
    SPORK_MUST(spork_pool_join(pool, SPORK_FOREVER));
    spork_pool_free(pool);
    puts("over");
    return 0;
}
