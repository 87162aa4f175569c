/* ZeroMQ's PUSH and PULL over ipc://, one producer to one consumer, where it is installed (Debian: libzmq3-dev). */
#include "transports.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <zmq.h>

static char address[64];
static void *context, *endpoint; /* of this process: a context does not survive a fork */

static bool start(size_t message)
{
    (void)message;
    snprintf(address, sizeof address, "ipc:///tmp/spork-bench-zmq-%d", (int)getpid());
    return true;
}

static void join(int type)
{
    context = zmq_ctx_new();
    endpoint = zmq_socket(context, type);
    int soon = 1; /* ms: who connects before the other has bound would lose a tenth of a second */
    zmq_setsockopt(endpoint, ZMQ_RECONNECT_IVL, &soon, sizeof soon);
    if (endpoint == NULL || (type == ZMQ_PULL ? zmq_bind : zmq_connect)(endpoint, address) != 0) abort();
}

static void put(const void *data, size_t size)
{
    if (endpoint == NULL) join(ZMQ_PUSH);
    if (zmq_send(endpoint, data, size, 0) < 0) abort();
}

static size_t get(void *data, size_t room)
{
    if (endpoint == NULL) join(ZMQ_PULL);
    int size = zmq_recv(endpoint, data, room, 0);
    return size < 0 ? 0 : (size_t)size;
}

static void leave(void) /* once all is on its way */
{
    if (endpoint != NULL) zmq_close(endpoint);
    if (context != NULL) zmq_ctx_term(context);
    endpoint = context = NULL;
}

static void end(void)
{
    leave();
    unlink(address + sizeof "ipc://" - 1);
}

const transport zmq_transport = {"ZeroMQ", start, put, get, end, leave, NULL};
