/* An end of a pipe as a Spork object: what a connection will be, as small as it can be. */
#ifdef _WIN32
#include <windows.h>
#else
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#endif
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "harness.h"
#include "object.h"

struct harness_end {
    spork__object object;
    spork_native native;
};

static int ends_alive;

static void close_native(spork_native native)
{
    if (native == -1) return;
#ifdef _WIN32
    CloseHandle((HANDLE)native);
#else
    close((int)native);
#endif
}

static spork_status give(spork__object *object, unsigned flags, spork__parcel *parcel)
{
    (void)flags;
    parcel->handles[0] = ((harness_end *)object)->native;
    parcel->handle_count = 1;
    memcpy(parcel->bytes, "end", 4);
    parcel->size = 4;
    return SPORK_OK;
}

static harness_end *new_end(spork_native native);

static spork_status take(const spork__kind *of, const spork__parcel *parcel, spork__object **object)
{
    (void)of;
    if (parcel->handle_count != 1 || parcel->size != 4 || memcmp(parcel->bytes, "end", 4) != 0)
        return spork__fail(SPORK_BAD_MESSAGE, "a damaged end");
    *object = &new_end(parcel->handles[0])->object;
    return SPORK_OK;
}

static void abandon(spork__object *object, bool do_close)
{
    harness_end *e = (harness_end *)object;
    if (do_close) close_native(e->native);
    e->native = -1;
}

static void release(spork__object *object) { harness_end_free((harness_end *)object); }

static const spork__kind kind = {HARNESS_KIND, "pipe end", give,    NULL,
                                 take,         abandon,    release, NULL};

static harness_end *new_end(spork_native native)
{
    harness_end *e = calloc(1, sizeof *e);
    if (e == NULL) abort();
    e->native = native;
    spork__object_track(&e->object, &kind);
    ends_alive++;
    return e;
}

/* A child has to know the kind before its arguments are unpacked: each concept does this when it is linked in. */
#if defined(__GNUC__)
__attribute__((constructor))
#endif
static void
know(void)
{
    spork__kind_add(&kind);
}

harness_end *harness_wrap(spork_native native)
{
    know();
    return new_end(native);
}

void harness_end_free(harness_end *e)
{
    if (e == NULL) return;
    spork__object_untrack(&e->object);
    close_native(e->native);
    free(e);
    ends_alive--;
}

spork_native harness_end_detach(harness_end *e)
{
    spork_native native = e->native;
    e->native = -1;
    harness_end_free(e);
    return native;
}

int harness_ends(void) { return ends_alive; }
spork_item harness_give(harness_end *e) { return spork__item(HARNESS_KIND, e, 0, 1); }
spork_slot harness_take(harness_end **e) { return spork__slot(HARNESS_KIND, e, 0, NULL); }
spork_native harness_end_native(const harness_end *e) { return e->native; }
spork_status harness_end_check(const harness_end *e)
{
    return spork__object_check(&e->object, &kind, "harness_end_check");
}

#ifdef _WIN32

bool harness_pipe(harness_end **reader, harness_end **writer)
{
    HANDLE r, w;
    know();
    if (!CreatePipe(&r, &w, NULL, 0)) return false;
    *reader = new_end((spork_native)r);
    *writer = new_end((spork_native)w);
    return true;
}

bool harness_write(harness_end *e, const void *data, size_t size)
{
    DWORD n;
    return WriteFile((HANDLE)e->native, data, (DWORD)size, &n, NULL) && n == size;
}

long harness_read(harness_end *e, void *data, size_t size)
{
    DWORD n = 0, there = 0;
    for (double end = spork_time() + harness_patience_ms() / 1000.0; spork_time() < end; Sleep(1)) {
        if (!PeekNamedPipe((HANDLE)e->native, NULL, 0, NULL, &there, NULL))
            return GetLastError() == ERROR_BROKEN_PIPE ? 0 : -1;
        if (there > 0) return ReadFile((HANDLE)e->native, data, (DWORD)size, &n, NULL) ? (long)n : -1;
    }
    return -1;
}

#else

bool harness_pipe(harness_end **reader, harness_end **writer)
{
    int ends[2];
    know();
    if (!harness_pipe_made(ends)) return false;
    *reader = new_end(ends[0]);
    *writer = new_end(ends[1]);
    return true;
}

bool harness_write(harness_end *e, const void *data, size_t size)
{
    return write((int)e->native, data, size) == (ssize_t)size;
}

long harness_read(harness_end *e, void *data, size_t size)
{
    struct pollfd p = {.fd = (int)e->native, .events = POLLIN};
    int n;
    do n = poll(&p, 1, harness_patience_ms());
    while (n < 0 && errno == EINTR);
    return n != 1 ? -1 : (long)read((int)e->native, data, size);
}

#endif
