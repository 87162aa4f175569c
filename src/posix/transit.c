/* A lock of an open file description (Linux) lasts as long as a descriptor of it is open anywhere, in a
 * message that nobody has received, too; and everybody who has the file can ask for it. So a
 * descriptor that travels has a description of its own, with such a lock: when it has arrived its
 * receiver takes the lock off, and when it is lost, with the message, the connection, or whoever would
 * have received it, the system does. A new description needs /proc. */
#include "os.h"

#include <fcntl.h>
#include <stdio.h>

#if SPORK_HAVE_OFD_LOCKS

static const long long far_behind = 1LL << 60; /* the end of any block: locks ask for no memory */

static struct flock lock_of(unsigned what, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_len = 1};
    lock.l_start = (off_t)(far_behind + what);
    return lock;
}

bool spork__os_transit_is_seen(void) { return sizeof(off_t) > 4; }

spork_native spork__os_transit_begin(const spork__block *block, unsigned what)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", (int)block->handle);
    int fd = spork__fd_private(spork__fd_open(path, O_RDWR));
    for (unsigned bit = 1; bit != 0 && bit <= what && fd >= 0; bit <<= 1) {
        struct flock lock = lock_of(bit, F_RDLCK);
        if ((what & bit) != 0 && SPORK__SYS(fcntl(fd, F_OFD_SETLK, &lock)) != 0)
            fd = spork__fd_close(fd);
    }
    return fd >= 0 ? fd : SPORK__NO_HANDLE;
}

void spork__os_transit_end(spork_native handle)
{
    struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET}; /* to the end */
    SPORK__SYS(fcntl((int)handle, F_OFD_SETLK, &all));
}

bool spork__os_transit_under_way(const spork__block *block, unsigned what)
{
    struct flock lock = lock_of(what, F_WRLCK);
    return SPORK__SYS(fcntl((int)block->handle, F_OFD_GETLK, &lock)) == 0 && lock.l_type != F_UNLCK;
}

#else

bool spork__os_transit_is_seen(void) { return false; }
spork_native spork__os_transit_begin(const spork__block *block, unsigned what)
{
    return (void)block, (void)what, SPORK__NO_HANDLE;
}
void spork__os_transit_end(spork_native handle) { (void)handle; }
bool spork__os_transit_under_way(const spork__block *block, unsigned what)
{
    return (void)block, (void)what, false;
}

#endif
