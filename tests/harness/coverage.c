/* Where coverage is measured: what a process executed that ends at once (a forked child, the fork server) counts, too. This _exit comes
 * before the system's, for all that is linked into the program. Killed processes tell nothing. */
#ifdef HARNESS_COVERAGE
#define _GNU_SOURCE
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

void __gcov_dump(void);

static volatile int code;

static void give_up(int number)
{
    (void)number;
    syscall(SYS_exit_group, code);
}

/* All processes write to the same files, one after the other: who waits too long for the others goes without. */
void _exit(int status)
{
    code = status;
    signal(SIGALRM, give_up);
    alarm(3);
    __gcov_dump();
    for (;;) give_up(0);
}

#else
typedef int harness_nothing_to_cover; /* a file has to have something in it */
#endif
