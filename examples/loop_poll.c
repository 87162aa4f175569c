/* A queue in a program that lives around poll. */
#include <poll.h>

#include "loop_numbers.h"

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_process *child;
    spork_queue *q = begin(&child);
    for (;;) {
        spork_native handle;
        spork_status status = spork_arm(spork_on(q), &handle);
        if (status == SPORK_OK) {
            struct pollfd fds[] = { { .fd = (int)handle, .events = POLLIN } }; /* and the program's own */
            poll(fds, 1, 100);
        } else if (status != SPORK_READY) {
            SPORK_MUST(status);
        }
        if (!take_all(q)) return end(q, child);
    }
}
