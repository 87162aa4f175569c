/* Shared memory with a name. A name that outlives its processes is a file, in /dev/shm or where that lacks the room in /tmp; one that ends
 * with its process is the business of named_abstract.c or named_file.c.
 *
 * A file appears whole: it is filled while it has no name (O_TMPFILE), or one that nobody looks for, and then linked to its own. Where
 * it needs that other name a kill in between leaves it there; it is locked (flock) as long as somebody is at it, so that who comes next
 * can tell, and removes it. Who only asks takes that lock shared, so that two who ask at once do not take each other for the owner; who
 * removes holds the directory's lock, as who makes a name that may be removed does: so it is never a new file of the same name. */
#include "os.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "alloc.h"

static const char *const directories[] = {"/dev/shm", "/tmp"};
enum { DIRECTORIES = sizeof directories / sizeof *directories };

static void path_of(char path[SPORK__NAMED_PATH], int directory, const char *name, const char *suffix)
{
    snprintf(path, SPORK__NAMED_PATH, "%s/spork-shm-%u-%s%s", directories[directory], (unsigned)geteuid(), name,
             suffix);
}

/* ---- making ---- */

typedef struct draft {
    int fd, lock;
    char path[SPORK__NAMED_PATH]; /* "": it has no name yet */
} draft;

static void give_up(draft *d)
{
    if (d->path[0] != 0) unlink(d->path);
    d->lock = spork__fd_close(d->lock);
}

/* Locked as long as we live; a sweeper may have had it before, and then it is gone. */
static int open_locked(const char *path, int flags)
{
    struct stat about;
    int fd = spork__fd_private(spork__fd_open(path, flags | O_RDWR | O_NOFOLLOW));
    if (fd < 0) return -1;
    if (SPORK__SYS(flock(fd, LOCK_EX | LOCK_NB)) == 0 && SPORK__SYS(fstat(fd, &about)) == 0 && about.st_nlink > 0) return fd;
    spork__fd_close(fd);
    errno = EAGAIN;
    return -1;
}

static bool open_draft(draft *d, int directory, bool lock)
{
    *d = (draft){.fd = lock ? -1 : spork__fd_open_nameless(directories[directory], false),
                 .lock = -1};
    for (int attempt = 0; d->fd < 0 && attempt < 10; attempt++) {
        char nonce[32];
        snprintf(nonce, sizeof nonce, "%016llx", (unsigned long long)spork__os_nonce());
        path_of(d->path, directory, nonce, ".new");
        d->lock = open_locked(d->path, O_CREAT | O_EXCL);
        if (d->lock < 0 && errno != EAGAIN && errno != EEXIST) return false;
        if (d->lock < 0) continue;
        d->fd = spork__fd_private(
            spork__fd_open(d->path, O_RDWR | O_NOFOLLOW)); /* the lock is not this one's */
        if (d->fd >= 0) return true;
        int code = errno;
        give_up(d);
        errno = code;
        return false;
    }
    return d->fd >= 0;
}

static int link_draft(const draft *d, const char *path)
{
    char self[64];
    if (d->path[0] != 0) return SPORK__SYS(link(d->path, path));
    snprintf(self, sizeof self, "/proc/self/fd/%d", d->fd);
    return SPORK__SYS(linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
}

/* To try would take all there is, for a moment, from everybody. */
static spork_status check_room(int fd, size_t size, const char *directory)
{
    struct statvfs about;
    if (fstatvfs(fd, &about) != 0 || size / about.f_frsize < about.f_bavail) return SPORK_OK;
    return spork__fail(SPORK_NO_SPACE, "no %zu bytes of shared memory: %s has %llu left", size, directory,
                       (unsigned long long)about.f_bavail * about.f_frsize);
}

static spork_status new_in(int directory, spork__block *block, size_t size, const char *name, const char *suffix,
                           const void *head, size_t head_size, char path[SPORK__NAMED_PATH], int *lock)
{
    draft d;
    *block = (spork__block){.handle = SPORK__NO_HANDLE};
    if (!open_draft(&d, directory, lock != NULL))
        return spork__fail_os(errno, "no file for shared memory in %s", directories[directory]);
    path_of(path, directory, name, suffix);
    spork_status status = check_room(d.fd, size, directories[directory]);
    if (status == SPORK_OK) status = spork__block_on(block, d.fd, size);
    if (status == SPORK_OK) {
        memcpy(block->data, head, head_size);
        if (link_draft(&d, path) != 0) status = spork__fail_os(errno, "the name %s", name);
    }
    if (d.path[0] != 0) unlink(d.path);
    if (status == SPORK_OK && lock != NULL)
        *lock = d.lock;
    else
        spork__fd_close(d.lock);
    if (status == SPORK_OK) return SPORK_OK;
    if (block->data != NULL)
        spork__os_block_free(block); /* with its descriptor */
    else
        spork__fd_close(d.fd);
    return status;
}

static bool is_there(const char *name, const char *suffix)
{
    struct stat about;
    char path[SPORK__NAMED_PATH];
    for (int i = 0; i < DIRECTORIES; i++) {
        path_of(path, i, name, suffix);
        if (lstat(path, &about) == 0) return true;
    }
    return false;
}

spork_status spork__named_file_new(spork__block *block, size_t size, const char *name, const char *suffix,
                                   const void *head, size_t head_size, char path[SPORK__NAMED_PATH], int *lock)
{
    spork_status status = SPORK_INTERNAL;
    for (int i = 0; i < DIRECTORIES; i++) {
        status = new_in(i, block, size, name, suffix, head, head_size, path, lock);
        if (status == SPORK_OK || status == SPORK_EXISTS) return status;
    }
    return status;
}

/* ---- finding and removing ---- */

int spork__named_file_open(const char *name, const char *suffix)
{
    char path[SPORK__NAMED_PATH];
    int fd = -1, code = ENOENT;
    for (int i = 0; i < DIRECTORIES && fd < 0; i++) {
        struct stat about;
        path_of(path, i, name, suffix);
        fd = spork__fd_private(spork__fd_open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
        if (fd < 0 && errno != ENOENT && errno != ENOTDIR) code = errno == ELOOP ? EACCES : errno; /* a symbolic link */
        if (fd >= 0 && (SPORK__SYS(fstat(fd, &about)) != 0 || about.st_uid != geteuid() || !S_ISREG(about.st_mode))) {
            fd = spork__fd_close(fd); /* somebody else's, under our name */
            code = EACCES;
        }
    }
    errno = code;
    return fd;
}

int spork__named_lock(void)
{
    spork__deadline d = {.timeout_ms = 1000};
    int fd = spork__fd_private(spork__sys_open("/tmp", O_RDONLY | O_CLOEXEC));
    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && spork__deadline_left(&d) > 0) spork__os_sleep(1);
    return fd;
}

bool spork__named_is_dead(int fd) { return flock(fd, LOCK_SH | LOCK_NB) == 0; }

static void remove_if_there(const char *path, int fd)
{
    struct stat ours, there;
    if (fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_ino == there.st_ino &&
        ours.st_dev == there.st_dev && ours.st_uid == geteuid())
        unlink(path);
}

static void remove_if_dead(const char *path, bool locked)
{
    int fd = spork__sys_open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return;
    if (spork__named_is_dead(fd)) {
        int lock = locked ? -1 : spork__named_lock();
        remove_if_there(path, fd);
        spork__fd_close(lock);
    }
    spork__sys_close(fd);
}

void spork__named_sweep(const char *suffix, bool locked)
{
    char begin[64], path[SPORK__NAMED_PATH];
    snprintf(begin, sizeof begin, "spork-shm-%u-", (unsigned)geteuid());
    for (int i = 0; i < DIRECTORIES; i++) {
        DIR *dir = spork__sys_opendir(directories[i]);
        if (dir == NULL) continue;
        for (struct dirent *entry; (entry = spork__sys_readdir(dir)) != NULL;) {
            size_t length = strlen(entry->d_name), end = strlen(suffix);
            if (strncmp(entry->d_name, begin, strlen(begin)) != 0 || length < end ||
                strcmp(entry->d_name + length - end, suffix) != 0)
                continue;
            int n = snprintf(path, sizeof path, "%s/%s", directories[i], entry->d_name);
            if (n > 0 && (size_t)n < sizeof path) remove_if_dead(path, locked);
        }
        spork__sys_closedir(dir);
    }
}

/* ---- the contract ---- */

spork_status spork__os_named_new(spork__block *block, size_t size, const char *name, bool manual, const void *head,
                                 size_t head_size, spork__claim *claim)
{
    char path[SPORK__NAMED_PATH];
    *claim = SPORK__NO_CLAIM;
    if (!SPORK_HAVE_O_TMPFILE) spork__named_sweep(".new", false);
    spork_status status = spork__owned_reserve(name, claim); /* of the two kinds only one has a name */
    if (status == SPORK_OK && is_there(name, ""))
        status = spork__fail(SPORK_EXISTS, "%s exists: spork_shm_remove would remove it", name);
    if (status == SPORK_OK && !manual) return spork__owned_new(block, size, name, head, head_size, claim);
    if (status == SPORK_OK) status = spork__named_file_new(block, size, name, "", head, head_size, path, NULL);
    spork__os_named_retract(claim);
    return status;
}

void spork__os_named_retract(spork__claim *claim)
{
    if (claim->path != NULL) unlink(claim->path);
    spork__free(claim->path);
    for (int i = 0; i < 2; i++) spork__fd_close((int)claim->handles[i]);
    *claim = SPORK__NO_CLAIM;
}

void spork__os_named_abandon(spork__claim *claim)
{
    for (int i = 0; i < 2; i++) claim->handles[i] = spork__fd_close((int)claim->handles[i]);
    claim->path = NULL; /* a forked child's copy of a few bytes: to free them would not be async-signal-safe */
}

spork_status spork__os_named_open(spork__block *block, const char *name)
{
    if (!SPORK_HAVE_O_TMPFILE) spork__named_sweep(".new", false);
    int fd = spork__owned_open(name);
    if (fd < 0 && errno == ENOENT) fd = spork__named_file_open(name, "");
    if (fd < 0) return spork__fail_os(errno, "no shared memory of the name %s", name);
    spork_status status = spork__os_block_open(block, fd, 0);
    if (status != SPORK_OK) spork__fd_close(fd);
    return status;
}

spork_status spork__os_named_remove(const char *name)
{
    char path[SPORK__NAMED_PATH];
    int code = ENOENT;
    for (int i = 0; i < DIRECTORIES; i++) {
        path_of(path, i, name, "");
        if (SPORK__SYS(unlink(path)) == 0) return SPORK_OK;
        if (errno != ENOENT && errno != ENOTDIR) code = errno;
    }
    int fd = code == ENOENT ? spork__owned_open(name) : -1;
    if (fd < 0) return spork__fail_os(code, "no shared memory of the name %s", name);
    spork__fd_close(fd);
    return spork__fail(SPORK_BAD_STATE, "%s ends with the process that made it; nobody else can remove it", name);
}
