/* The end of our own children on macOS and the BSDs: a kqueue for each, which becomes readable at it. A kqueue is not
 * inherited by fork. */
#include "exit_shared.h"

#include <sys/event.h>
#include <unistd.h>

spork_native spork__exit_open(int pid)
{
    int queue = spork__fd_private(SPORK__SYS(kqueue()));
    if (queue < 0) return SPORK__NO_HANDLE;
    struct kevent event;
    EV_SET(&event, (uintptr_t)pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, NULL);
    if (kevent(queue, &event, 1, NULL, 0, NULL) == 0) return queue;
    /* ESRCH: it has ended already. Let the queue be readable for ever, as the end of a process is. */
    EV_SET(&event, 1, EVFILT_USER, EV_ADD, NOTE_FFNOP, 0, NULL);
    kevent(queue, &event, 1, NULL, 0, NULL);
    EV_SET(&event, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
    kevent(queue, &event, 1, NULL, 0, NULL);
    return queue;
}

spork_status spork__exit_wait(const spork__child *child, int timeout_ms)
{
    if (child->handle == SPORK__NO_HANDLE) return spork__exit_wait_by_number(child, timeout_ms);
    return spork__fd_wait((int)child->handle, -1, timeout_ms) != 0 ? SPORK_OK : SPORK_TIMEOUT;
}

spork_status spork__exit_reap(spork__child *child, spork__end *end) { return spork__exit_reap_by_number(child, end); }
spork_status spork__exit_signal(spork__child *child, int number) { return spork__exit_signal_by_number(child, number); }

int spork__exit_open_for_others(int pid) { return (void)pid, -1; }
bool spork__exit_told(int handle, spork__end *end) { return (void)handle, (void)end, false; }
bool spork__exit_signal_by(int handle, int number) { return (void)handle, (void)number, false; }
