/* Any bytes as a file that pgz is to expand (examples/pgz/expand.c): what comes out, and whether it says that all is well, is what zlib says of
 * them when it has them all at once. An input that begins with 'L' and a number comes behind a member that leaves so many bytes of what is read
 * at once, so that what is looked for may lie across that border. */
#define _POSIX_C_SOURCE 200809L
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "../examples/pgz/pgz.h"
#include "expect.h"

/* ---- what expand.c needs of its neighbours ---- */

static uint64_t in, out;
void progress_add(progress *p, uint64_t more_in, uint64_t more_out)
{
    (void)p;
    in += more_in;
    out += more_out;
}
static unsigned messages;
void files_message(const char *name, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    EXPECT(name != NULL && vsnprintf(text, sizeof text, format, args) > 0);
    va_end(args);
    messages++;
}

/* ---- the same, simply ---- */

static unsigned char *expected;
static size_t expected_size, expected_room;

static void append(const unsigned char *data, size_t size)
{
    if (size == 0) return;
    if (expected_size + size > expected_room) {
        expected_room = 2 * (expected_size + size);
        expected = realloc(expected, expected_room);
        EXPECT(expected != NULL);
    }
    memcpy(expected + expected_size, data, size);
    expected_size += size;
}

static bool expand_member(z_stream *z)
{
    static unsigned char room[16384];
    int code;
    do {
        z->next_out = room;
        z->avail_out = sizeof room;
        code = inflate(z, Z_NO_FLUSH);
        append(room, sizeof room - z->avail_out);
    } while (code == Z_OK);
    return code == Z_STREAM_END;
}

static int expand(const uint8_t *data, size_t size)
{
    z_stream z;
    int code = PGZ_FINE;
    bool more = true;
    memset(&z, 0, sizeof z);
    expected_size = 0;
    EXPECT(inflateInit2(&z, MAX_WBITS + 16) == Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)data;
    z.avail_in = (uInt)size;
    while (more && code == PGZ_FINE) {
        if (!expand_member(&z)) code = PGZ_ERROR;
        while (code == PGZ_FINE && z.avail_in > 0 && *z.next_in == 0) z.next_in++, z.avail_in--;
        more = z.avail_in >= 2 && z.next_in[0] == 0x1F && z.next_in[1] == 0x8B;
        if (code == PGZ_FINE && !more && z.avail_in > 0) code = PGZ_WARNING;
        inflateReset(&z);
    }
    inflateEnd(&z);
    return code;
}

/* A member of that size: its header has a comment, which nobody looks at, and its contents are none. */
enum { AT_ONCE = 65536, LARGE = AT_ONCE + 4096 };
static size_t put_long_member(unsigned char *to, size_t size)
{
    static const unsigned char begin[] = {0x1F, 0x8B, 8, 0x10, 0, 0, 0, 0, 0, 3}, end[10] = {3};
    memset(to, 'c', size);
    memcpy(to, begin, sizeof begin);
    to[size - sizeof end - 1] = 0;
    memcpy(to + size - sizeof end, end, sizeof end);
    return size;
}

static int run(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned char large[LARGE];
    if (size < 2 || data[0] != 'L') return run(data, size);
    size_t before = put_long_member(large, AT_ONCE - data[1]), more = size - 2;
    if (more > LARGE - before) more = LARGE - before;
    memcpy(large + before, data + 2, more);
    return run(large, before + more);
}

static int run(const uint8_t *data, size_t size)
{
    char *made = NULL;
    size_t made_size = 0;
    settings s = {.expand = true};
    static files f;
    if (size == 0) return 0; /* no stream of no bytes */
    f = (files){.settings = &s, .name = "input"};
    f.in = fmemopen((void *)(uintptr_t)data, size, "rb");
    f.out = open_memstream(&made, &made_size);
    EXPECT(f.in != NULL && f.out != NULL);
    in = out = 0;
    messages = 0;
    int code = gz_expand(&s, &f, NULL);
    fclose(f.in);
    EXPECT(fclose(f.out) == 0);
    EXPECT(code == expand(data, size));
    /* What comes out before an error is found depends on how much is looked at at once. */
    EXPECT(code == PGZ_ERROR ? made_size <= expected_size : made_size == expected_size);
    EXPECT(made_size == 0 || memcmp(made, expected, made_size) == 0);
    EXPECT(in <= size && out == made_size && (messages > 0) == (code != PGZ_FINE));
    free(made);
    return 0;
}
