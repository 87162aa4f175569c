/* Without a join too the main process ends only after its children. */
#include <spork/spork.h>
#include <stdio.h>

static int child(const spork_args *args)
{
    int delay_ms;
    if (spork_unpack(args, &delay_ms) != SPORK_OK) return 1;
    spork_sleep(delay_ms);
    printf("child end\n");
    return 0;
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_process *p = spork_process_new(child, spork_pack(500));
    SPORK_MUST(spork_process_start(p));
    spork_process_free(p); /* lets go of the object; the child runs on */
    printf("main end\n");
    fflush(stdout); /* a pipe would keep it until after the wait */
    return 0;
}
