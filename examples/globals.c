/* Processes share no variables: the child changes its own copy. */
#include <spork/spork.h>
#include <stdio.h>

static int g_num = 100;

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));

    int pid = spork_fork();
    if (pid < 0) { /* Windows has no fork: the sentence shows the way out */
        puts(spork_error());
        return spork_last_status() == SPORK_UNSUPPORTED ? 0 : 1;
    }
    if (pid == 0) {
        g_num += 1;
        printf("process-c - %d\n", g_num);
    } else {
        spork_sleep(1000); /* the child has long added by then */
        printf("process-p - %d\n", g_num);
    }
    return 0;
}
