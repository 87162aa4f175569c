/* Where names are files: a name that ends with its process is a file that this process keeps locked (flock), until it removes it, or is
 * gone, and then the next who uses any name does. */
#include "os.h"

#include <string.h>

#include "alloc.h"

static const char suffix[] = ".own";

spork_status spork__owned_reserve(const char *name, spork__claim *claim)
{
    claim->handles[1] = spork__named_lock();
    spork__named_sweep(suffix, true);
    int fd = spork__named_file_open(name, suffix);
    if (fd < 0) return SPORK_OK;
    spork__fd_close(fd);
    return spork__fail(SPORK_EXISTS, "%s exists: a process has it", name);
}

spork_status spork__owned_new(spork__block *block, size_t size, const char *name, const void *head, size_t head_size,
                              spork__claim *claim)
{
    char path[SPORK__NAMED_PATH];
    int lock = -1;
    char *kept = spork__alloc(sizeof path, "a path");
    spork_status status =
        kept == NULL ? SPORK_NO_MEMORY : spork__named_file_new(block, size, name, suffix, head, head_size, path, &lock);
    spork__os_named_retract(claim);
    if (status == SPORK_OK) {
        memcpy(kept, path, sizeof path);
        claim->path = kept;
        claim->handles[0] = lock;
        return SPORK_OK;
    }
    spork__free(kept);
    if (status == SPORK_EXISTS) return spork__fail(SPORK_EXISTS, "%s exists: a process has it", name);
    return status;
}

int spork__owned_open(const char *name)
{
    spork__named_sweep(suffix, false);
    int fd = spork__named_file_open(name, suffix);
    if (fd < 0 || !spork__named_is_dead(fd)) return fd;
    spork__fd_close(fd); /* its process has just gone */
    errno = ENOENT;
    return -1;
}
