/* Parent and child run side by side: which of them comes first is the system's choice. Ends by Ctrl-C. */
#include <spork/spork.h>
#include <stdio.h>

/* Flushes each line: a pipe would keep them until the end, and Ctrl-C would lose them. */
static void repeat(const char *line)
{
    while (puts(line) >= 0 && fflush(stdout) == 0) spork_sleep(1000);
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));

    int pid = spork_fork();
    if (pid < 0) { /* Windows has no fork: the sentence shows the way out */
        puts(spork_error());
        return spork_last_status() == SPORK_UNSUPPORTED ? 0 : 1;
    }
    if (pid == 0) repeat("1");
    else repeat("2");
    return 1; /* only when nobody reads any more */
}
