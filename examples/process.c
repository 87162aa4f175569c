/* Process: a function with its arguments, run by another process. */
#include <spork/spork.h>
#include <stdio.h>

/* Runs in the child; its return is the exit code. */
static int run_proc(const spork_args *args)
{
    const char *name;
    if (spork_unpack(args, &name) != SPORK_OK) return 1;
    printf("Run child process %s (%d)...\n", name, spork_getpid());
    return 0;
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv)); /* Python's `if __name__ == '__main__':` */
    printf("Parent process %d.\n", spork_getpid());

    spork_process *p = spork_process_new(run_proc, spork_pack("test"));
    printf("Child process will start.\n");
    SPORK_MUST(spork_process_start(p));
    SPORK_MUST(spork_process_join(p, SPORK_FOREVER));
    spork_process_free(p);
    printf("Child process end.\n");
    return 0;
}
