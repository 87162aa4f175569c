/* A semaphore beside the word: WaitOnAddress reaches no other process, and keyed events are not the documented kind. Its count
 * is how many may stop sleeping; one that nobody used makes somebody look in vain, once. Who has looked
 * at the word, and not yet begun to wait, may find what was meant for it used up by others who came
 * later, looked in vain and waited again: it sleeps until its bound. */
#include "os.h"

#include <stdatomic.h>

enum { MOST = 64 }; /* sleepers that one call wakes; more look by themselves within their bound */

spork_status spork__os_berth_new(spork_native *berth)
{
    HANDLE semaphore = SPORK__SYS_HANDLE(CreateSemaphoreW(NULL, 0, MOST, NULL));
    *berth = spork__native(semaphore);
    return semaphore != NULL ? SPORK_OK : SPORK__FAIL("no semaphore");
}

void spork__os_park(const void *word, uint32_t expected, spork_native berth, int ms)
{
    if (atomic_load((const _Atomic uint32_t *)word) != expected) return;
    if (WaitForSingleObject(spork__handle(berth), (DWORD)ms) == WAIT_FAILED) Sleep(1); /* a handle that is none */
}

void spork__os_berth_quiet(spork_native berth)
{
    while (WaitForSingleObject(spork__handle(berth), 0) == WAIT_OBJECT_0) {}
}

bool spork__os_unpark(const void *word, spork_native berth, bool all)
{
    (void)word;
    for (LONG n = all ? MOST : 1; n > 0 && !ReleaseSemaphore(spork__handle(berth), n, NULL);)
        n /= 2; /* a count beyond its most is refused as a whole */
    return true;
}
