#include "os.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#if SPORK_HAVE_EVENTFD
#include <sys/eventfd.h>
#endif

#include "alloc.h"

/* ---- chimes: an eventfd, or a pipe ---- */

spork_status spork__os_chime_new(spork__chime *chime)
{
    *chime = (spork__chime){SPORK__NO_HANDLE, SPORK__NO_HANDLE};
#if SPORK_HAVE_EVENTFD
    int fd = spork__fd_private(SPORK__SYS(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
    if (fd >= 0) {
        chime->wait = chime->ring = fd;
        return SPORK_OK;
    }
    if (spork__is_full(errno)) return spork__fail_os(errno, "no descriptor to wait on");
#endif
    int ends[2];
    if (spork__fd_pipe(ends) != 0) return spork__fail_os(errno, "no pipe to wait on");
    for (int i = 0; i < 2; i++) fcntl(ends[i], F_SETFL, O_NONBLOCK);
    chime->wait = ends[0];
    chime->ring = ends[1];
    return SPORK_OK;
}

spork_status spork__os_flag_new(spork__chime *flag) { return spork__os_chime_new(flag); }

/* Eight bytes, as an eventfd wants it. Nothing else can go wrong but a signal, and that it is full: then it is readable as it is. */
static ssize_t chime_write(int fd)
{
    return spork__sys_write(fd, &(uint64_t){1}, sizeof(uint64_t));
}

void spork__os_chime_ring(const spork__chime *chime)
{
    int code = errno;
    while (chime->ring != SPORK__NO_HANDLE && SPORK__SYS(chime_write((int)chime->ring)) < 0 && errno == EINTR) {}
    errno = code;
}

void spork__os_chime_quiet(const spork__chime *chime)
{
    char rest[512];
    int code = errno;
    while (chime->wait != SPORK__NO_HANDLE &&
           spork__sys_read((int)chime->wait, rest, sizeof rest) > 0) {}
    errno = code;
}

void spork__os_chime_close(spork__chime *chime)
{
    spork__fd_close((int)chime->wait);
    if (chime->ring != chime->wait) spork__fd_close((int)chime->ring);
    *chime = (spork__chime){SPORK__NO_HANDLE, SPORK__NO_HANDLE};
}

/* ---- many ---- */

static void forget(void *memory) { spork__free(memory); }

void spork__os_wait_any(spork__wait_handle *handles, size_t count, int ms)
{
    struct pollfd few[16], *all = count <= 16 ? few : spork__alloc(count * sizeof *all, "descriptors to wait for");
    if (all == NULL) { /* for the moment: the caller looks at each */
        spork__os_sleep(ms >= 0 && ms < 1 ? ms : 1);
        return;
    }
    for (size_t i = 0; i < count; i++)
        all[i] = (struct pollfd){.fd = (int)handles[i].handle, .events = handles[i].for_writing ? POLLOUT : POLLIN};
    int n;
    pthread_cleanup_push(forget, all != few ? all : NULL);
    n = SPORK__SYS(spork__sys_poll(all, (nfds_t)count, ms));
    if (n < 0 && errno != EINTR) spork__os_sleep(1);
    pthread_cleanup_pop(0);
    for (size_t i = 0; i < count && n > 0; i++) handles[i].fired = all[i].revents != 0;
    if (all != few) spork__free(all);
}

bool spork__os_is_ready(spork_native handle, int events)
{
    struct pollfd p = {.fd = (int)handle,
                       .events = (short)((events & SPORK_READ ? POLLIN : 0) | (events & SPORK_WRITE ? POLLOUT : 0))};
    return spork__sys_poll(&p, 1, 0) > 0;
}

spork_status spork__os_check_handle(spork_native handle)
{
    if (handle >= 0 && handle <= INT32_MAX && fcntl((int)handle, F_GETFD) >= 0) return SPORK_OK;
    return spork__fail(SPORK_INVALID, "%lld is no open descriptor", (long long)handle);
}
