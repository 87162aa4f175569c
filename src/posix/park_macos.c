/* macOS: sleeping on an address in shared memory, public since macOS 14.4 (os_sync_wait_on_address.h); looked up at run
 * time, so that a program runs on older systems too, by the call beneath it, which C++'s std::atomic::wait uses there. Where even
 * that is missing a sleeper looks every millisecond. */
#include "os.h"

#include <dlfcn.h>
#include <pthread.h>

enum { SHARED = 1, MACH_ABSOLUTE_TIME = 32, COMPARE_AND_WAIT_SHARED = 3, WAKE_ALL = 0x100 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int (*wait_on)(void *word, uint64_t value, size_t size, uint32_t flags, uint32_t clock, uint64_t ns);
static int (*wake_one)(void *word, size_t size, uint32_t flags);
static int (*wake_all)(void *word, size_t size, uint32_t flags);
static int (*ulock_wait)(uint32_t operation, void *word, uint64_t value, uint32_t us);
static int (*ulock_wake)(uint32_t operation, void *word, uint64_t thread);

static void look_up(void)
{
    *(void **)&wake_one = dlsym(RTLD_DEFAULT, "os_sync_wake_by_address_any");
    *(void **)&wake_all = dlsym(RTLD_DEFAULT, "os_sync_wake_by_address_all");
    if (wake_one != NULL && wake_all != NULL)
        *(void **)&wait_on = dlsym(RTLD_DEFAULT, "os_sync_wait_on_address_with_timeout");
    *(void **)&ulock_wake = dlsym(RTLD_DEFAULT, "__ulock_wake");
    if (ulock_wake != NULL) *(void **)&ulock_wait = dlsym(RTLD_DEFAULT, "__ulock_wait");
}

spork_status spork__os_berth_new(spork_native *berth)
{
    *berth = SPORK__NO_HANDLE;
    return SPORK_OK;
}

void spork__os_berth_quiet(spork_native berth) { (void)berth; }

void spork__os_park(const void *word, uint32_t expected, spork_native berth, int ms)
{
    (void)berth;
    pthread_once(&once, look_up);
    if (ms == 0) return; /* no bound, to the calls below */
    if (wait_on != NULL)
        wait_on((void *)word, expected, 4, SHARED, MACH_ABSOLUTE_TIME, (uint64_t)ms * 1000000);
    else if (ulock_wait != NULL)
        ulock_wait(COMPARE_AND_WAIT_SHARED, (void *)word, expected, (uint32_t)ms * 1000);
    else
        spork__os_sleep(1);
}

bool spork__os_unpark(const void *word, spork_native berth, bool all)
{
    (void)berth;
    pthread_once(&once, look_up);
    if (wait_on != NULL) return (all ? wake_all : wake_one)((void *)word, 4, SHARED) >= 0;
    if (ulock_wait != NULL)
        return ulock_wake(COMPARE_AND_WAIT_SHARED | (all ? WAKE_ALL : 0), (void *)word, 0) >= 0;
    return true;
}
