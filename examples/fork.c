/* fork returns twice: 0 in the child, the child's id in the parent. */
#include <spork/spork.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    printf("Process (%d) start...\n", spork_getpid());

    int pid = spork_fork();
    if (pid < 0) { /* Windows has no fork: the sentence shows the way out */
        puts(spork_error());
        return spork_last_status() == SPORK_UNSUPPORTED ? 0 : 1;
    }
    if (pid == 0) {
        printf("I am child process (%d) from %d.\n", spork_getpid(), spork_getppid());
    } else {
        printf("I (%d) just created a child process (%d).\n", spork_getpid(), pid);
        fflush(stdout);
        spork_sleep(1000); /* a plain fork has no join, and a child whose parent has ended gets another one */
    }
    return 0;
}
