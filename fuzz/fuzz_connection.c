/* Any bytes from the other end of a connection: each call comes back with a status and, unless that is SPORK_OK, a sentence. On Windows,
 * where a message is one write, the bytes are one message. */
#include <spork/spork.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <unistd.h>
#endif

#include "expect.h"

enum { ROOM = 1 << 16 };

static void feed(spork_connection *writer, const uint8_t *data, size_t size)
{
#ifdef _WIN32
    EXPECT(spork_connection_send_bytes(writer, data, size, 0) == SPORK_OK);
    spork_connection_free(writer);
#else
    int fd = (int)spork_connection_detach(writer);
    EXPECT(fd >= 0 && (size == 0 || write(fd, data, size) == (ssize_t)size));
    close(fd);
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned char room[ROOM];
    spork_connection *reader, *writer;
    spork_status status = SPORK_OK;
    if (size > 32768) return 0; /* a pipe's room: nobody reads meanwhile */
    EXPECT(spork_pipe(&reader, &writer) == SPORK_OK);
    feed(writer, data, size);
    for (int i = 0; status != SPORK_CLOSED; i++) {
        size_t got = 0, offered = i % 3 == 0 ? 7 : ROOM;
        spork_args *values = NULL;
        EXPECT(i < 100000);
        status = i % 2 == 0 ? spork_connection_recv(reader, &values, 0)
                            : spork_connection_recv_bytes(reader, room, offered, &got, 0);
        EXPECT(status == SPORK_OK || spork_error()[0] != 0);
        EXPECT(status != SPORK_TIMEOUT); /* the writer is gone */
        EXPECT((values != NULL) == (i % 2 == 0 && status == SPORK_OK));
        if (status == SPORK_TOO_SMALL && got > ROOM) break; /* there cannot be so much */
        spork_args_free(values);
    }
    spork_connection_free(reader);
    return 0;
}
