/* Without fork there is no fork server. */
#include "os.h"

spork_status spork__os_forkserver(const spork__launch *launch, spork__child *child)
{
    *child = SPORK__NO_CHILD;
    return spork__fail(SPORK_UNSUPPORTED, "%s: Windows has no fork server; use SPORK_SPAWN", launch->name);
}

spork_status spork__os_forkserver_main(spork_native socket, spork_native lifeline, void *control, spork_native ack,
                                       spork__served *served)
{
    (void)socket, (void)lifeline, (void)control, (void)ack, (void)served;
    return spork__fail(SPORK_UNSUPPORTED, "Windows has no fork server");
}

bool spork__os_forkserver_claim(void *control, uint32_t sequence)
{
    (void)control, (void)sequence;
    return false;
}

spork_status spork__os_nursery_new(const spork__launch *launch,
                                   void (*main)(void *record, size_t size, spork_native ack), spork__nursery **nursery)
{
    (void)main, (void)nursery;
    return spork__fail(SPORK_UNSUPPORTED, "%s: Windows has no fork", launch->name);
}
void spork__os_nursery_free(spork__nursery *nursery) { (void)nursery; }

void spork__os_forkserver_stop(void) {}
void spork__os_forkserver_forget(void) {}
int spork__os_forkserver_pid(void) { return 0; }
