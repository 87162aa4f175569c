/* Handles that travel stay in their sender until they have been taken, and nobody else can ask for
 * them. */
#include "os.h"

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
