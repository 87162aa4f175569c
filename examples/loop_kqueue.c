/* A queue in a program that lives around kqueue (macOS, BSD). */
#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

#include "loop_numbers.h"

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_process *child;
    spork_queue *q = begin(&child);
    int poller = kqueue();
    for (;;) {
        spork_native handle;
        spork_status status = spork_arm(spork_on(q), &handle);
        if (status == SPORK_OK) {
            struct kevent event;
            struct timespec limit = { 0, 100 * 1000000 };
            EV_SET(&event, (uintptr_t)handle, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, q);
            kevent(poller, &event, 1, &event, 1, &limit);
        } else if (status != SPORK_READY) {
            SPORK_MUST(status);
        }
        if (!take_all(q)) break;
    }
    close(poller);
    return end(q, child);
}
