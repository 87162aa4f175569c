/* A class with its own run: the struct is the object, its members travel to the child with it. */
#include <spork/spork.h>
#include <stdio.h>

struct sleeper {
    int interval;
};

static int run(void *self, const spork_args *args)
{
    const struct sleeper *me = self;
    if (args->count != 0) return 1; /* all that it needs is in the object */
    printf("child process (%d) starts, parent process (%d)\n", spork_getpid(), spork_getppid());
    double start = spork_time();
    spork_sleep(me->interval * 1000);
    printf("(%d) ends, run time is %.2f seconds\n", spork_getpid(), spork_time() - start);
    return 0;
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    double start = spork_time();
    printf("current process (%d)\n", spork_getpid());

    struct sleeper me = { .interval = 2 };
    spork_process_options options = { .run = run, .self = &me, .self_size = sizeof me };
    spork_process *p = spork_process_new_with(&options);
    SPORK_MUST(spork_process_start(p));
    SPORK_MUST(spork_process_join(p, SPORK_FOREVER));
    spork_process_free(p);
    printf("(%d) ends, run time is %.2f seconds\n", spork_getpid(), spork_time() - start);
    return 0;
}
