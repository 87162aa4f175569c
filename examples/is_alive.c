/* is_alive: true after start, false after join. */
#include <spork/spork.h>
#include <stdio.h>

static int child_process_func(const spork_args *args)
{
    const char *name;
    if (spork_unpack(args, &name) != SPORK_OK) return 1;
    spork_sleep(1000);
    printf("child process, my name is %s, process id is %d, my parent's process id is %d\n", name, spork_getpid(),
           spork_getppid());
    return 0;
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    printf("parent process %d\n", spork_getpid());

    spork_process *p = spork_process_new(child_process_func, spork_pack("a"));
    SPORK_MUST(spork_process_start(p));
    puts(spork_process_is_alive(p) ? "True" : "False");
    fflush(stdout); /* a pipe would keep it until the end */
    SPORK_MUST(spork_process_join(p, SPORK_FOREVER));
    puts(spork_process_is_alive(p) ? "True" : "False");
    spork_process_free(p);
    puts("parent end");
    return 0;
}
