/* A plain fork's child goes on after its parent has ended. */
#include <spork/spork.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));

    int pid = spork_fork();
    if (pid < 0) { /* Windows has no fork: the sentence shows the way out */
        puts(spork_error());
        return spork_last_status() == SPORK_UNSUPPORTED ? 0 : 1;
    }
    if (pid == 0) {
        puts("child");
        fflush(stdout); /* a pipe would keep it until the end */
        spork_sleep(2000);
        puts("child over");
    } else {
        puts("parent");
        fflush(stdout);
        spork_sleep(1000);
    }
    puts("over"); /* both come here */
    return 0;
}
