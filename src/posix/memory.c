/* Shared memory without names (memfd, or a file that never had one; elsewhere a POSIX object that is
 * unlinked before anybody can use its name), and the small helpers for descriptors. */
#include "os.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- descriptors ---- */

int spork__fd_private(int fd)
{
    if (fd < 0 || fd > 2) return fd;
    int above = SPORK__SYS(fcntl(fd, F_DUPFD_CLOEXEC, 3)); /* the host has closed a standard stream: leave its number free */
    int code = errno;
    spork__sys_close(fd);
    errno = code;
    return above;
}

int spork__fd_raise(int fd, int floor)
{
    if (fd >= floor) return fd;
    int above = SPORK__SYS(fcntl(fd, F_DUPFD_CLOEXEC, floor));
    if (above >= 0) spork__sys_close(fd);
    return above;
}

int spork__fd_cloexec(int fd)
{
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

void spork__file_note(int fd, spork__file *file)
{
    struct stat about;
    *file = (spork__file){0, 0, 0};
    if (fstat(fd, &about) != 0) return;
    *file = (spork__file){(uint64_t)about.st_dev, (uint64_t)about.st_ino,
                          (uint32_t)(about.st_mode & S_IFMT)};
}

bool spork__file_is(int fd, const spork__file *file)
{
    spork__file now;
    spork__file_note(fd, &now);
    return now.inode == file->inode && now.device == file->device && now.type == file->type &&
           now.type != 0;
}

bool spork__is_full(int code)
{
    return code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOSPC;
}

/* Where both ends of a pair are to be; 0 or -1 with errno. */
static int make_private(int ends[2])
{
    ends[0] = spork__fd_private(ends[0]);
    ends[1] = spork__fd_private(ends[1]);
    if (ends[0] >= 0 && ends[1] >= 0) return 0;
    int code = errno;
    ends[0] = spork__fd_close(ends[0]);
    ends[1] = spork__fd_close(ends[1]);
    errno = code;
    return -1;
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
    return make_private(ends);
}

int spork__fd_socket_pair(int ends[2])
{
#ifdef SOCK_CLOEXEC
    if (SPORK__SYS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) != 0) return -1;
#else
    if (SPORK__SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) != 0) return -1; /* as above */
    spork__fd_cloexec(ends[0]);
    spork__fd_cloexec(ends[1]);
#endif
    return make_private(ends);
}

int spork__fd_close(int fd)
{
    if (fd >= 0)
        spork__sys_close(
            fd); /* not again after EINTR: the number is free already, and may be another's */
    return -1;
}

void spork__os_handle_close(spork_native handle) { spork__fd_close((int)handle); }

spork_status spork__os_handle_copy(spork_native handle, spork_native *copy)
{
    int fd = SPORK__SYS(fcntl((int)handle, F_DUPFD_CLOEXEC, 3));
    *copy = fd >= 0 ? fd : SPORK__NO_HANDLE;
    return fd >= 0 ? SPORK_OK
                   : spork__fail_os(errno, "no second descriptor for descriptor %d", (int)handle);
}

void spork__os_handle_inherit(spork_native handle, bool inherit)
{
    fcntl((int)handle, F_SETFD, inherit ? 0 : FD_CLOEXEC);
}

int spork__fd_open(const char *path, int flags)
{
    int fd;
    do fd = SPORK__SYS(spork__sys_open(path, flags | O_CLOEXEC, 0600));
    while (fd < 0 && errno == EINTR);
    return fd;
}

int spork__fd_write(int fd, const void *data, size_t size)
{
    for (const char *at = data; size > 0;) {
        ssize_t n = SPORK__SYS(spork__sys_write(fd, at, spork__fault_size(size)));
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
        ssize_t n = SPORK__SYS(spork__sys_read(fd, at, spork__fault_size(size)));
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
        int left = spork__deadline_left(d),
            n = SPORK__SYS(spork__sys_poll(fds, (nfds_t)count, left));
        if (n > 0) return true;
        if (n < 0 && errno == EINTR) continue; /* which says nothing of whether it is ready */
        if (left == 0) return false;
        if (n < 0) spork__os_sleep(1); /* ENOMEM: for the moment */
    }
}

int spork__fd_wait(int first, int second, int timeout_ms)
{
    spork__deadline d = {.timeout_ms = timeout_ms};
    struct pollfd p[2] = {{.fd = first, .events = POLLIN}, {.fd = second, .events = POLLIN}};
    return spork__fd_poll(p, 2, &d) ? (p[0].revents != 0) | (p[1].revents != 0) << 1 : 0;
}

/* ---- blocks ---- */

enum { WORTH_A_LOOK = 16 << 20, AT_ONCE = 16 << 20, NOT_DUMPED = 256 << 20, LEFT_OVER = 32 << 20 };

#if SPORK_HAVE_MEMFD_CREATE
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u /* Linux 6.3, which may refuse those that could be executed */
#endif

static int memory_fd(void)
{
    static atomic_bool unknown; /* the flag, to this kernel */
    if (!atomic_load_explicit(&unknown, memory_order_relaxed)) {
        int fd =
            SPORK__SYS(memfd_create("spork", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL));
        if (fd >= 0 || errno != EINVAL) return fd;
        atomic_store_explicit(&unknown, true, memory_order_relaxed);
    }
    return SPORK__SYS(memfd_create("spork", MFD_CLOEXEC | MFD_ALLOW_SEALING));
}
#endif

#if SPORK_HAVE_O_TMPFILE
int spork__fd_open_nameless(const char *directory, bool for_ever)
{
    return spork__fd_private(
        spork__fd_open(directory, O_TMPFILE | O_RDWR | (for_ever ? O_EXCL : 0)));
}
#else
int spork__fd_open_nameless(const char *directory, bool for_ever)
{
    (void)directory, (void)for_ever;
    errno = EOPNOTSUPP;
    return -1;
}
#endif

static int anonymous_fd(void)
{
    int fd;
#if SPORK_HAVE_MEMFD_CREATE
    fd = memory_fd();
    if (fd >= 0 || spork__is_full(errno)) return spork__fd_private(fd);
        /* It is not there, or is forbidden, which filters of containers tell by EPERM. */
#endif
    fd = spork__fd_open_nameless("/dev/shm", true);
    if (fd >= 0 || spork__is_full(errno)) return fd;
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

#if SPORK_HAVE_POSIX_FALLOCATE
static bool is_refused(int code)
{
    return code == EOPNOTSUPP || code == EINVAL || code == ENOSYS || code == EPERM;
}
#endif

#if defined(__linux__) && !defined(MADV_POPULATE_WRITE)
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* As if each page were written to, but for what is in it: others may be at work there. ENOSYS: the
 * system cannot. */
static int populate(void *data, size_t offset, size_t size)
{
#ifdef MADV_POPULATE_WRITE
    size_t page = (size_t)sysconf(_SC_PAGESIZE), begin = offset / page * page;
    void *at = (unsigned char *)data + begin;
    int result;
    do result = SPORK__SYS(madvise(at, offset + size - begin, MADV_POPULATE_WRITE));
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno == EFAULT || errno == ENOMEM ? ENOSPC : ENOSYS;
#else
    (void)data, (void)offset, (void)size;
    return ENOSYS;
#endif
}

/* Pages now, so that a full memory is an error here and not a SIGBUS later; where the system can do so. */
static int reserve(int fd, void *data, size_t offset, size_t size, bool *can)
{
    int code = 0;
    /* macOS' shared memory is swapped, and has no limit of its own. */
    *can = SPORK_HAVE_POSIX_FALLOCATE;
#if SPORK_HAVE_POSIX_FALLOCATE
    /* In pieces: a call that a signal interrupts begins anew. */
    for (size_t done = 0, piece; *can && code == 0 && done < size; done += piece) {
        piece = size - done < AT_ONCE ? size - done : AT_ONCE;
        do
            code = SPORK__SYS_CODE(
                spork__sys_posix_fallocate(fd, (off_t)(offset + done), (off_t)piece));
        while (code == EINTR);
        if (is_refused(code)) code = populate(data, offset + done, piece);
        *can = !is_refused(code);
    }
#else
    (void)fd, (void)data, (void)offset, (void)size;
#endif
    return *can ? code : 0;
}

static uint64_t number_in(const char *directory, const char *file)
{
    char path[1200], text[64];
    snprintf(path, sizeof path, "%s/%s", directory, file);
    if (!spork__file_read(path, text, sizeof text) || text[0] < '0' || text[0] > '9') return UINT64_MAX; /* "max" */
    return strtoull(text, NULL, 10);
}

/* What a group uses as a cache of files, which the system gives up at need. */
static uint64_t cache_in(const char *directory, bool v2)
{
    char path[1200], line[128];
    unsigned long long bytes, sum = 0;
    snprintf(path, sizeof path, "%s/memory.stat", directory);
    FILE *f = spork__sys_fopen(path, "re");
    while (f != NULL && spork__sys_fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, v2 ? "active_file %llu" : "total_active_file %llu", &bytes) == 1 ||
            sscanf(line, v2 ? "inactive_file %llu" : "total_inactive_file %llu", &bytes) == 1)
            sum += bytes;
    if (f != NULL) spork__sys_fclose(f);
    return sum;
}

/* What a group may still have, on top of its memory, in the system's swap. */
static uint64_t swap_in(const char *directory, bool v2, uint64_t memory_left, uint64_t free_swap)
{
    uint64_t most = number_in(directory, v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes");
    uint64_t used = number_in(directory, v2 ? "memory.swap.current" : "memory.memsw.usage_in_bytes");
    if (most == UINT64_MAX || used == UINT64_MAX) return free_swap; /* no limit of its own */
    if (!v2) used += memory_left;                                   /* there it is of both together */
    uint64_t here = most > used ? most - used : 0;
    return here < free_swap ? here : free_swap;
}

typedef struct memory_left {
    uint64_t bytes, free_swap;
} memory_left;

static void least_left(const char *directory, bool v2, void *user)
{
    memory_left *left = user;
    uint64_t most = number_in(directory, v2 ? "memory.max" : "memory.limit_in_bytes");
    uint64_t used = number_in(directory, v2 ? "memory.current" : "memory.usage_in_bytes");
    if (most == UINT64_MAX || used == UINT64_MAX) return;
    uint64_t cache = cache_in(directory, v2);
    used -= cache < used ? cache : used;
    uint64_t here = most > used ? most - used : 0;
    here += swap_in(directory, v2, here, left->free_swap);
    if (here < left->bytes) left->bytes = here;
}

/* Anonymous shared memory has no limit of its own: who asks for more than there is would be answered by the killing of processes. */
uint64_t spork__memory_available(const char *root)
{
    char path[512], line[128];
    unsigned long long free_kib = 0, swap_kib = 0;
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    FILE *f = spork__sys_fopen(path, "re");
    if (f == NULL) return UINT64_MAX;
    while (spork__sys_fgets(line, sizeof line, f) != NULL) {
        sscanf(line, "MemAvailable: %llu kB", &free_kib);
        sscanf(line, "SwapFree: %llu kB", &swap_kib);
    }
    spork__sys_fclose(f);
    memory_left left = {free_kib != 0 ? (uint64_t)(free_kib + swap_kib) * 1024 : UINT64_MAX, (uint64_t)swap_kib * 1024};
    spork__cgroups(root, "memory", least_left, &left);
    return left.bytes;
}

spork_status spork__os_block_afford(size_t size)
{
    static _Atomic size_t unasked;
    if (size < WORTH_A_LOOK && atomic_fetch_add(&unasked, size) + size < WORTH_A_LOOK)
        return SPORK_OK;
    atomic_store(&unasked, 0);
    uint64_t left = spork__memory_available("");
    if (left == UINT64_MAX || (size <= left && left - size >= LEFT_OVER)) return SPORK_OK;
    return spork__fail(SPORK_NO_SPACE, "no %zu bytes of shared memory: the system has %llu left", size,
                       (unsigned long long)left);
}

static bool no_file_can_be(uint64_t size) { return size > INT64_MAX; } /* a size_t of 32 bits never is so large */

/* A crash would have to write, and so to have, all of a block of which little is used. */
static void leave_out_of_dumps(int fd, void *data, size_t size)
{
#ifdef MADV_DONTDUMP
    struct stat about;
    if (size >= NOT_DUMPED && fstat(fd, &about) == 0 && (uint64_t)about.st_blocks * 512 < size / 2)
        madvise(data, size, MADV_DONTDUMP);
#else
    (void)fd, (void)data, (void)size;
#endif
}

static spork_status map_block(spork__block *block, int fd, size_t size, bool reserved)
{
    int code = 0;
    struct rlimit most; /* who goes beyond that is killed (SIGXFSZ) */
    *block = (spork__block){.handle = SPORK__NO_HANDLE};
    if (SPORK__SYS(getrlimit(RLIMIT_FSIZE, &most)) == 0 && most.rlim_cur != RLIM_INFINITY && size > most.rlim_cur)
        return spork__fail(SPORK_NO_SPACE,
                           "no %zu bytes of shared memory: this process' limit on files (ulimit -f) is %llu", size,
                           (unsigned long long)most.rlim_cur);
    if (no_file_can_be(size))
        code = EFBIG;
    else
        do code = SPORK__SYS(ftruncate(fd, (off_t)size)) == 0 ? 0 : errno;
        while (code == EINTR);
    void *data = MAP_FAILED;
    bool can;
    if (code == 0) { /* addresses first: they cost nothing, and may be what there is too little of */
        data = SPORK__SYS_MAP(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
        code = data == MAP_FAILED ? errno : reserved ? reserve(fd, data, 0, size, &can) : 0;
    }
    if (code == 0) {
        leave_out_of_dumps(fd, data, size);
        *block = (spork__block){fd, data, size};
        return SPORK_OK;
    }
    if (data != MAP_FAILED) munmap(data, size);
    if (code == EFBIG)
        return spork__fail(SPORK_NO_SPACE, "no %zu bytes of shared memory: no file can be so large", size);
    return spork__fail_os(code, "no %zu bytes of shared memory", size);
}

spork_status spork__block_on(spork__block *block, int fd, size_t size) { return map_block(block, fd, size, true); }

/* Its size is what it is from now on: whoever gets the descriptor could else cut the memory off under all the others (SIGBUS). */
static void seal(int fd)
{
#ifdef F_ADD_SEALS
    /* Refused where it is no memfd: such a file can be cut off. */
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
#else
    (void)fd;
#endif
}

static spork_status new_block(spork__block *block, size_t size, bool reserved)
{
    *block = (spork__block){.handle = SPORK__NO_HANDLE};
    spork_status status = reserved ? spork__os_block_afford(size) : SPORK_OK;
    if (status != SPORK_OK) return status;
    int fd = anonymous_fd();
    if (fd < 0) return spork__fail_os(errno, "no shared memory");
    status = map_block(block, fd, size, reserved);
    if (status == SPORK_OK)
        seal(fd);
    else
        spork__fd_close(fd);
    return status;
}

spork_status spork__os_block_new(spork__block *block, size_t size) { return new_block(block, size, true); }
spork_status spork__os_block_new_sparse(spork__block *block, size_t size) { return new_block(block, size, false); }

spork_status spork__os_block_populate(const spork__block *block, size_t offset, size_t size)
{
    if (populate(block->data, offset, size) != ENOSPC) return SPORK_OK;
    return spork__fail_os(ENOSPC, "no memory for %zu bytes more of a shared block", size);
}

spork_status spork__os_block_new_growing(spork__block *block, size_t size) { return new_block(block, size, false); }
size_t spork__os_block_spacious(void) { return (size_t)1 << (sizeof(size_t) > 4 ? 36 : 28); }

/* Only Linux' memory files are known to count what they have: elsewhere it is the size, or an estimate. */
size_t spork__os_block_committed(const spork__block *block)
{
#ifdef __linux__
    struct stat about;
    bool can;
    if (reserve((int)block->handle, block->data, 0, 1, &can) == 0 && can &&
        SPORK__SYS(fstat((int)block->handle, &about)) == 0) {
        uint64_t bytes = (uint64_t)about.st_blocks * 512;
        if (bytes < block->size) return (size_t)bytes;
    }
#endif
    return block->size;
}

spork_status spork__os_block_commit(const spork__block *block, size_t offset, size_t size)
{
    bool can;
    int code = size == 0 ? 0 : reserve((int)block->handle, block->data, offset, size, &can);
    return code == 0 ? SPORK_OK : spork__fail_os(code, "no memory for %zu bytes more of a shared block", size);
}

/* A part without memory reads as zeros, and takes some: only a system that has none ends who does. */
bool spork__os_block_is_backed(const spork__block *block, size_t offset, size_t size)
{
    return offset <= block->size && size <= block->size - offset;
}

bool spork__os_block_can_discard(void) { return SPORK_HAVE_PUNCH_HOLE; }

void spork__os_block_discard(const spork__block *block, size_t offset, size_t size)
{
#if SPORK_HAVE_PUNCH_HOLE
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, code;
    /* By its address, which is ours in any case; and by its descriptor, where pages are larger. */
    if (madvise((unsigned char *)block->data + offset, size, MADV_REMOVE) == 0) return;
    do
        code =
            SPORK__SYS(spork__sys_fallocate((int)block->handle, mode, (off_t)offset, (off_t)size));
    while (code != 0 && errno == EINTR);
#else
    (void)block, (void)offset, (void)size;
#endif
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
    void *data = SPORK__SYS_MAP(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, (int)handle, 0));
    if (data == MAP_FAILED) return spork__fail_os(errno, "a shared block of %zu bytes cannot be mapped", size);
    leave_out_of_dumps((int)handle, data, size);
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
    void *data = SPORK__SYS_MAP(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0));
    if (data == MAP_FAILED) return spork__fail_os(errno, "no memory for a page");
    *wiped = false;
#if SPORK_HAVE_MADV_WIPEONFORK
    *wiped = madvise(data, size, MADV_WIPEONFORK) == 0;
#endif
    *page = data;
    return SPORK_OK;
}
