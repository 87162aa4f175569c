/* Ids of this process; which process another id means is in identity_procfs.c and identity_libproc.c. */
#include "os.h"

#include <sys/types.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

int spork__os_getpid(void) { return (int)getpid(); }
int spork__os_getppid(void) { return (int)getppid(); }

uint64_t spork__os_nonce(void)
{
    uint64_t nonce = 0;
    if (getentropy(&nonce, sizeof nonce) != 0)
        nonce = spork__os_now() * 0x9e3779b97f4a7c15u ^ (uint64_t)getpid() << 40; /* unlikely to repeat, at least */
    return nonce;
}
