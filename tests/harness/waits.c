#include "waits.h"

#include <stdio.h>

int target_send_later(const spork_args *args)
{
    spork_connection *c;
    int ms;
    if (spork_unpack(args, &c, &ms) != SPORK_OK) return 100;
    spork_sleep(ms);
    return spork_connection_send(c, spork_pack(ms), harness_patience_ms()) == SPORK_OK ? 0 : 1;
}

int target_put_later(const spork_args *args)
{
    spork_queue *q;
    int ms;
    if (spork_unpack(args, &q, &ms) != SPORK_OK) return 100;
    spork_sleep(ms);
    return spork_queue_put(q, spork_pack(ms), harness_patience_ms()) == SPORK_OK ? 0 : 1;
}

int target_get_later(const spork_args *args)
{
    spork_queue *q;
    spork_args *message;
    int ms;
    if (spork_unpack(args, &q, &ms) != SPORK_OK) return 100;
    spork_sleep(ms);
    if (spork_queue_get(q, &message, harness_patience_ms()) != SPORK_OK) return 1;
    spork_args_free(message);
    return 0;
}

int target_hold_both(const spork_args *args)
{
    spork_queue *q;
    spork_connection *c;
    if (spork_unpack(args, &q, &c) != SPORK_OK) return 100;
    spork_sleep(SPORK_FOREVER);
    return 0;
}

static spork_status wait_in_one_way(spork_queue *q, int way)
{
    spork_native handle;
    spork_wait_item item = spork_on(q);
    switch (way) {
    case 0: return SPORK_OK; /* the get itself sleeps */
    case 1: return spork_wait(&item, 1, harness_patience_ms());
    case 2: /* as a foreign loop does */
        for (;;) {
            spork_status status = spork_arm(spork_on(q), &handle);
            if (status != SPORK_OK) return status == SPORK_READY ? SPORK_OK : status;
            spork_wait_item native = spork_on_native(handle, SPORK_READ);
            spork_wait(&native, 1, 100);
        }
    default: spork_sleep(1); return SPORK_OK;
    }
}

int target_drain(const spork_args *args)
{
    spork_queue *from, *to;
    int way, number;
    if (spork_unpack(args, &from, &to, &way) != SPORK_OK) return 100;
    for (;;) {
        spork_args *message;
        spork_status status = wait_in_one_way(from, way);
        if (status != SPORK_OK) {
            fprintf(stderr, "way %d: %s\n", way, spork_error());
            return 1;
        }
        status = spork_queue_get(from, &message, way == 0 ? harness_patience_ms() : 0);
        if (status == SPORK_CLOSED) return 0;
        if (status == SPORK_TIMEOUT && way != 0) continue; /* another was quicker */
        if (status != SPORK_OK) return 2;
        if (spork_unpack(message, &number) != SPORK_OK) return 3;
        if (spork_queue_put(to, spork_pack(number), harness_patience_ms()) != SPORK_OK) return 4;
        spork_args_free(message);
    }
}
