/* A queue in a program that lives around epoll (Linux). The handle of a queue is always the same: it is registered once. */
#include <sys/epoll.h>
#include <unistd.h>

#include "loop_numbers.h"

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_process *child;
    spork_queue *q = begin(&child);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    bool registered = false;
    for (;;) {
        spork_native handle;
        spork_status status = spork_arm(spork_on(q), &handle);
        if (status == SPORK_OK) {
            struct epoll_event event = { .events = EPOLLIN, .data = { .ptr = q } };
            if (!registered) registered = epoll_ctl(poller, EPOLL_CTL_ADD, (int)handle, &event) == 0;
            epoll_wait(poller, &event, 1, 100);
        } else if (status != SPORK_READY) {
            SPORK_MUST(status);
        }
        if (!take_all(q)) break;
    }
    close(poller);
    return end(q, child);
}
