/* terminate: ends a child that would never end. join with a limit, and the exit code that tells the signal. */
#include <spork/spork.h>
#include <stdio.h>

static int work_for_ever(const spork_args *args)
{
    const char *name;
    if (spork_unpack(args, &name) != SPORK_OK) return 1;
    printf("%s (%d) works for ever\n", name, spork_getpid());
    fflush(stdout); /* a terminated process flushes nothing */
    for (;;) spork_sleep(100);
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_process *p = spork_process_new(work_for_ever, spork_pack("child"));
    SPORK_MUST(spork_process_start(p));
    if (spork_process_join(p, 1000) != SPORK_TIMEOUT) return 1;
    printf("after a second: is_alive=%s\n", spork_process_is_alive(p) ? "True" : "False");

    SPORK_MUST(spork_process_terminate(p));
    SPORK_MUST(spork_process_join(p, SPORK_FOREVER));
    printf("terminated: is_alive=%s, exitcode %d\n", spork_process_is_alive(p) ? "True" : "False",
           spork_process_exitcode(p));
    spork_process_free(p);
    return 0;
}
