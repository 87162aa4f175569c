/* Shared memory without names (memfd; elsewhere a POSIX object that is unlinked before anybody can use its name), and the small
 * helpers for descriptors. */
#include "os.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- descriptors ---- */

int spork__fd_private(int fd)
{
    if (fd < 0 || fd > 2) return fd;
    int above = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* the host has closed a standard stream: leave its number free */
    int code = errno;
    close(fd);
    errno = code;
    return above;
}

int spork__fd_raise(int fd, int floor)
{
    if (fd >= floor) return fd;
    int above = fcntl(fd, F_DUPFD_CLOEXEC, floor);
    if (above >= 0) close(fd);
    return above;
}

int spork__fd_cloexec(int fd)
{
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

int spork__fd_pipe(int ends[2])
{
#if SPORK_HAVE_PIPE2
    if (SPORK__SYS(pipe2(ends, O_CLOEXEC)) != 0) return -1;
#else
    if (SPORK__SYS(pipe(ends)) != 0) return -1; /* SPORK__LOCK_START keeps our own forks away meanwhile */
    spork__fd_cloexec(ends[0]);
    spork__fd_cloexec(ends[1]);
#endif
    ends[0] = spork__fd_private(ends[0]);
    ends[1] = spork__fd_private(ends[1]);
    if (ends[0] >= 0 && ends[1] >= 0) return 0;
    int code = errno;
    ends[0] = spork__fd_close(ends[0]);
    ends[1] = spork__fd_close(ends[1]);
    errno = code;
    return -1;
}

int spork__fd_close(int fd)
{
    if (fd >= 0) close(fd); /* not again after EINTR: the number is free already, and may be another's */
    return -1;
}

void spork__os_handle_close(spork_native handle) { spork__fd_close((int)handle); }

int spork__fd_write(int fd, const void *data, size_t size)
{
    for (const char *at = data; size > 0;) {
        ssize_t n = SPORK__SYS(write(fd, at, size));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

int spork__fd_read(int fd, void *data, size_t size)
{
    char *at = data;
    while (size > 0) {
        ssize_t n = SPORK__SYS(read(fd, at, size));
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) {
            errno = EPIPE;
            return at == (char *)data ? 0 : -1;
        }
        if (n < 0) return -1;
        at += n;
        size -= (size_t)n;
    }
    return 1;
}

bool spork__fd_poll(struct pollfd *fds, size_t count, spork__deadline *d)
{
    for (;;) {
        int left = spork__deadline_left(d), n = poll(fds, (nfds_t)count, left);
        if (n > 0) return true;
        if (left == 0) return false;
        if (n < 0 && errno != EINTR) spork__os_sleep(1); /* ENOMEM: for the moment */
    }
}

int spork__fd_wait(int first, int second, int timeout_ms)
{
    spork__deadline d = {.timeout_ms = timeout_ms};
    struct pollfd p[2] = {{.fd = first, .events = POLLIN}, {.fd = second, .events = POLLIN}};
    return spork__fd_poll(p, 2, &d) ? (p[0].revents != 0) | (p[1].revents != 0) << 1 : 0;
}

/* ---- blocks ---- */

static int anonymous_fd(void)
{
#if SPORK_HAVE_MEMFD_CREATE
    int fd = SPORK__SYS(memfd_create("spork", MFD_CLOEXEC));
    if (fd >= 0 || errno != ENOSYS) return spork__fd_private(fd);
#endif
    char name[64]; /* exists for the moment between two calls; a kill in between leaves an empty object */
    for (int attempt = 0; attempt < 100; attempt++) {
        snprintf(name, sizeof name, "/spork-%llx", (unsigned long long)spork__os_nonce() & 0xffffffffff);
        int object = SPORK__SYS(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600)); /* POSIX: close-on-exec */
        if (object >= 0) {
            shm_unlink(name);
            return spork__fd_private(object);
        }
        if (errno != EEXIST) break;
    }
    return -1;
}

/* Pages now, so that a full memory is an error here and not a SIGBUS later. */
static int reserve(int fd, size_t offset, size_t size)
{
#if SPORK_HAVE_POSIX_FALLOCATE
    int code;
    do code = spork__fault(SPORK__FAULT_SYSTEM) ? spork__fault_code() : posix_fallocate(fd, (off_t)offset, (off_t)size);
    while (code == EINTR);
    return code == EOPNOTSUPP || code == EINVAL ? 0 : code;
#else
    (void)fd, (void)offset, (void)size; /* macOS' shared memory is swapped, and has no limit of its own */
    return 0;
#endif
}

static spork_status new_block(spork__block *block, size_t size, bool reserved)
{
    *block = (spork__block){.handle = SPORK__NO_HANDLE};
    int code = 0, fd = anonymous_fd();
    if (fd < 0) return spork__fail_os(errno, "no shared memory");
    if (size > INT64_MAX || SPORK__SYS(ftruncate(fd, (off_t)size)) != 0)
        code = size > INT64_MAX ? EFBIG : errno;
    else if (reserved)
        code = reserve(fd, 0, size);
    if (code == 0) {
        void *data = spork__fault(SPORK__FAULT_SYSTEM) ? (errno = spork__fault_code(), MAP_FAILED)
                                                       : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (data != MAP_FAILED) {
            *block = (spork__block){fd, data, size};
            return SPORK_OK;
        }
        code = errno;
    }
    spork__fd_close(fd);
    return spork__fail_os(code, "no %zu bytes of shared memory", size);
}

spork_status spork__os_block_new(spork__block *block, size_t size) { return new_block(block, size, true); }
spork_status spork__os_block_new_sparse(spork__block *block, size_t size) { return new_block(block, size, false); }
spork_status spork__os_block_new_growing(spork__block *block, size_t size) { return new_block(block, size, false); }

spork_status spork__os_block_commit(const spork__block *block, size_t offset, size_t size)
{
    int code = size == 0 ? 0 : reserve((int)block->handle, offset, size);
    return code == 0 ? SPORK_OK : spork__fail_os(code, "no memory for %zu bytes more of a shared block", size);
}

spork_status spork__os_block_open(spork__block *block, spork_native handle, size_t size)
{
    struct stat about;
    *block = (spork__block){.handle = SPORK__NO_HANDLE};
    if (SPORK__SYS(fstat((int)handle, &about)) != 0)
        return spork__fail_os(errno, "descriptor %d is no shared memory", (int)handle);
    size_t real = (size_t)about.st_size; /* macOS rounds it up to pages */
    if (size == 0) size = real;
    if (size == 0 || size > real)
        return spork__fail(SPORK_BAD_MESSAGE, "a shared block has %zu bytes instead of %zu", real, size);
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, (int)handle, 0);
    if (data == MAP_FAILED) return spork__fail_os(errno, "a shared block of %zu bytes cannot be mapped", size);
    *block = (spork__block){handle, data, size};
    return SPORK_OK;
}

void spork__os_block_close_handle(spork__block *block)
{
    spork__fd_close((int)block->handle);
    block->handle = SPORK__NO_HANDLE;
}

void spork__os_block_abandon(spork__block *block, bool close_it)
{
    if (block->data != NULL) munmap(block->data, block->size);
    if (close_it) spork__fd_close((int)block->handle);
    *block = (spork__block){.handle = SPORK__NO_HANDLE};
}

void spork__os_block_free(spork__block *block)
{
    if (block->data == NULL) return;
    munmap(block->data, block->size);
    spork__os_block_close_handle(block);
    block->data = NULL;
}

spork_status spork__os_fork_wiped_page(void **page, bool *wiped)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (data == MAP_FAILED) return spork__fail_os(errno, "no memory for a page");
    *wiped = false;
#if SPORK_HAVE_MADV_WIPEONFORK
    *wiped = madvise(data, size, MADV_WIPEONFORK) == 0;
#endif
    *page = data;
    return SPORK_OK;
}
