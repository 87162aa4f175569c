/* Any gzip file: one member after another; what follows them and is none is ignored with a warning, zeros in silence, as gzip does. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "pgz.h"

enum { ROOM = 65536, GZIP = 16 };

typedef struct expander {
    files *files;
    progress *progress;
    z_stream z;
    unsigned char in[ROOM], out[ROOM];
} expander;

/* More input, if there is none left. False: there is no more. */
static bool fill(expander *e)
{
    if (e->z.avail_in > 0) return true;
    e->z.next_in = e->in;
    e->z.avail_in = (uInt)fread(e->in, 1, sizeof e->in, e->files->in);
    progress_add(e->progress, e->z.avail_in, 0);
    return e->z.avail_in > 0;
}

static bool drain(expander *e)
{
    size_t size = sizeof e->out - e->z.avail_out;
    e->z.next_out = e->out;
    e->z.avail_out = sizeof e->out;
    progress_add(e->progress, 0, size);
    return e->files->out == NULL || fwrite(e->out, 1, size, e->files->out) == size;
}

static int complain(const expander *e, const char *what)
{
    files_message(e->files->name, "%s", what);
    return PGZ_ERROR;
}

static int cannot(const expander *e, const char *what, int code)
{
    files_message(e->files->name, "cannot %s: %s", what, strerror(code != 0 ? code : EIO));
    return PGZ_ERROR;
}

/* One member, which has begun. */
static int expand_member(expander *e)
{
    int code = Z_OK;
    while (code != Z_STREAM_END) {
        errno = 0;
        if (!fill(e)) return ferror(e->files->in) ? cannot(e, "read", errno) : complain(e, "unexpected end of file");
        code = inflate(&e->z, Z_NO_FLUSH);
        if (code == Z_MEM_ERROR) return complain(e, "no memory to inflate");
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
            return complain(e, e->z.msg != NULL ? e->z.msg : "not in gzip format, or damaged");
        if (!drain(e)) return cannot(e, "write", errno);
    }
    return PGZ_FINE;
}

/* Whether another member follows. */
static int look_behind(expander *e, bool *more)
{
    *more = false;
    while (fill(e) && *e->z.next_in == 0) {
        e->z.next_in++;
        e->z.avail_in--;
    }
    if (ferror(e->files->in)) return cannot(e, "read", errno);
    if (e->z.avail_in == 0) return PGZ_FINE;
    unsigned char first = *e->z.next_in;
    if (first == 0x1F && e->z.avail_in == 1) { /* its second byte is still to come */
        int second = getc(e->files->in);
        if (second != EOF) ungetc(second, e->files->in);
        *more = second == 0x8B;
    } else {
        *more = first == 0x1F && e->z.next_in[1] == 0x8B;
    }
    if (*more) return PGZ_FINE;
    if (!e->files->settings->quiet) files_message(e->files->name, "what follows the end is no gzip, and is ignored");
    return PGZ_WARNING;
}

static int expand_all(expander *e)
{
    int code, behind = PGZ_FINE;
    bool more = true;
    for (code = PGZ_FINE; more && code == PGZ_FINE; inflateReset(&e->z)) {
        code = expand_member(e);
        if (code == PGZ_FINE) behind = look_behind(e, &more);
        if (behind == PGZ_ERROR) code = behind;
    }
    return code == PGZ_FINE ? behind : code;
}

int gz_expand(const settings *s, files *f, progress *p)
{
    (void)s;
    expander *e = calloc(1, sizeof *e);
    if (e == NULL || inflateInit2(&e->z, MAX_WBITS + GZIP) != Z_OK) {
        files_message(f->name, "no memory");
        free(e);
        return PGZ_ERROR;
    }
    e->files = f;
    e->progress = p;
    e->z.next_out = e->out;
    e->z.avail_out = sizeof e->out;
    int code = expand_all(e);
    inflateEnd(&e->z);
    free(e);
    return code;
}
