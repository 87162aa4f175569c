/* The parent works on while its child works. Ends by Ctrl-C, which ends the child too. */
#include <spork/spork.h>
#include <stdio.h>

/* Flushes each line: a pipe would keep them until the end, and Ctrl-C would lose them. */
static void repeat(const char *line, int interval_ms)
{
    while (puts(line) >= 0 && fflush(stdout) == 0) spork_sleep(interval_ms);
}

static int test(const spork_args *args)
{
    int interval_ms;
    if (spork_unpack(args, &interval_ms) != SPORK_OK) return 1;
    repeat("--test", interval_ms);
    return 1; /* only when nobody reads any more */
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_process *p = spork_process_new(test, spork_pack(2000));
    SPORK_MUST(spork_process_start(p));
    repeat("--main", 1000);
    spork_process_free(p);
    return 1;
}
