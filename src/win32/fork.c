#include "os.h"

bool spork__os_has_method(spork_start_method method) { return method == SPORK_SPAWN; }
spork_start_method spork__os_default_method(void) { return SPORK_SPAWN; }

spork_status spork__os_fork(const spork__launch *launch, spork__child *child)
{
    *child = SPORK__NO_CHILD;
    return spork__fail(SPORK_UNSUPPORTED, "%s: Windows has no fork; use SPORK_SPAWN", launch->name);
}

int spork__os_plain_fork(void)
{
    spork__fail(SPORK_UNSUPPORTED,
                "spork_fork: Windows has no fork; put what the child does into a function and start that: "
                "spork_process_start(spork_process_new(function, spork_pack(...)))");
    return -1;
}
