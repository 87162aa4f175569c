#include "os.h"

static SRWLOCK locks[SPORK__LOCKS]; /* zero is SRWLOCK_INIT */

void spork__os_lock(spork__lock lock) { AcquireSRWLockExclusive(&locks[lock]); }
void spork__os_unlock(spork__lock lock) { ReleaseSRWLockExclusive(&locks[lock]); }

/* There is no fork to hold them for. */
unsigned spork__os_lock_all(void) { return 0; }
void spork__os_unlock_all(unsigned which) { (void)which; }

spork_status spork__os_at_fork(void (*in_child)(void))
{
    (void)in_child;
    return SPORK_OK;
}
