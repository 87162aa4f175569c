/* A socket is a descriptor like any other. */
#include "os.h"

#include <sys/socket.h>

spork_status spork__os_socket_check(spork_native socket)
{
    int type;
    socklen_t size = sizeof type;
    spork_status status = spork__os_check_handle(socket);
    if (status != SPORK_OK) return status;
    if (getsockopt((int)socket, SOL_SOCKET, SO_TYPE, &type, &size) == 0) return SPORK_OK;
    return spork__fail(SPORK_INVALID, "descriptor %d is no socket: spork_on_native takes any",
                       (int)socket);
}

bool spork__os_socket_is_ready(spork_native socket, int events)
{
    return spork__os_is_ready(socket, events);
}

spork_native spork__os_socket_watch(spork_native socket, bool writing, void **watch)
{
    (void)writing, (void)watch;
    return socket;
}

void spork__os_socket_leave(void **watch) { (void)watch; }
