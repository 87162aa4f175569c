/* The second fork stands in the parent's branch only: three processes. */
#include <spork/spork.h>
#include <stdio.h>

/* Windows has no fork: the sentence shows the way out. */
static int no_fork(void)
{
    puts(spork_error());
    return spork_last_status() == SPORK_UNSUPPORTED ? 0 : 1;
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));

    int pid = spork_fork();
    if (pid < 0) return no_fork();
    if (pid == 0) {
        puts("1"); /* the first child */
    } else {
        puts("2"); /* the parent */
        pid = spork_fork();
        if (pid < 0) return no_fork();
        if (pid == 0) puts("11"); /* the second child */
        else puts("22");          /* the parent */
    }
    return 0;
}
