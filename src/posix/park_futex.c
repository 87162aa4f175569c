/* Linux: a futex that processes share, found by its page and not by its address. */
#include "os.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

spork_status spork__os_berth_new(spork_native *berth)
{
    *berth = SPORK__NO_HANDLE;
    return SPORK_OK;
}

void spork__os_berth_quiet(spork_native berth) { (void)berth; }

void spork__os_park(const void *word, uint32_t expected, spork_native berth, int ms)
{
    struct {
        long seconds, nanoseconds; /* what this system call takes, whatever the C library's timespec is */
    } time = {ms / 1000, ms % 1000 * 1000000L};
    (void)berth;
    syscall(SYS_futex, word, FUTEX_WAIT, expected, &time, NULL, 0);
}

bool spork__os_unpark(const void *word, spork_native berth, bool all)
{
    (void)berth;
    return syscall(SYS_futex, word, FUTEX_WAKE, all ? INT32_MAX : 1, NULL, NULL, 0) != 0;
}
