/* Blocks of the input go to the pool by imap, each with the 32 KiB before it as a dictionary, and come back in order: together they are one
 * deflate stream, since all but the last end on a byte (Z_SYNC_FLUSH). A worker that dies costs time only: its block is done again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "pgz.h"

enum { DICTIONARY = 32768, RETRIES = 3, HEADER = 10, SYSTEM_UNKNOWN = 255, HAS_NAME = 8 };

/* ---- in a worker ---- */

/* One for all blocks: to make it anew costs as much as a small block does. */
static z_stream *stream_of(int level)
{
    static z_stream z;
    static int made_for;
    if (made_for == level) return deflateReset(&z) == Z_OK ? &z : NULL;
    if (made_for != 0) deflateEnd(&z);
    made_for = deflateInit2(&z, level, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK ? level : 0;
    return made_for != 0 ? &z : NULL;
}

/* level, whether it is the last, what came before, block -> its crc, its deflated bytes */
static int deflate_block(const spork_args *args, spork_task *task)
{
    int level;
    bool last;
    spork_bytes before, block;
    if (spork_unpack(args, &level, &last, &before, &block) != SPORK_OK) return 1;
    z_stream *z = stream_of(level);
    if (z == NULL) return spork_fail(task, "no memory to deflate");
    if (before.size > 0) deflateSetDictionary(z, before.data, (uInt)before.size);
    uLong most = deflateBound(z, (uLong)block.size) + 16;
    unsigned char *room = spork_task_alloc(task, most);
    if (room == NULL) return 1;
    z->next_in = (unsigned char *)(uintptr_t)block.data;
    z->avail_in = (uInt)block.size;
    z->next_out = room;
    z->avail_out = (uInt)most;
    int code = deflate(z, last ? Z_FINISH : Z_SYNC_FLUSH);
    if (code != (last ? Z_STREAM_END : Z_OK) || z->avail_in != 0) return spork_fail(task, "deflate: %d", code);
    uint32_t crc = (uint32_t)crc32(0, block.data, (uInt)block.size);
    return spork_return(task, crc, (uint64_t)block.size, spork_bytes_of(room, most - z->avail_out));
}

/* ---- the source of blocks ---- */

typedef struct source {
    FILE *in;
    int level, code; /* code: why reading failed */
    size_t block, before, size;
    bool ended;
    unsigned char *room; /* the dictionary's, then the block's */
} source;

static spork_status next_block(void *user, spork_args *next)
{
    source *s = user;
    if (s->ended) return SPORK_CLOSED;
    size_t keep = s->size < DICTIONARY ? s->size : DICTIONARY;
    memmove(s->room + DICTIONARY - keep, s->room + DICTIONARY + s->size - keep, keep);
    errno = 0;
    s->before = keep;
    s->size = fread(s->room + DICTIONARY, 1, s->block, s->in);
    int ahead = s->size == s->block ? getc(s->in) : EOF; /* is there more? */
    if (ferror(s->in)) {
        s->code = errno != 0 ? errno : EIO;
        return SPORK_FAILED;
    }
    s->ended = ahead == EOF;
    if (!s->ended) ungetc(ahead, s->in);
    *next = spork_pack(s->level, s->ended, spork_bytes_of(s->room + DICTIONARY - s->before, s->before),
                       spork_bytes_of(s->room + DICTIONARY, s->size));
    return SPORK_OK;
}

/* ---- the stream ---- */

static bool put(files *f, progress *p, const void *bytes, size_t size, uint64_t in)
{
    if (fwrite(bytes, 1, size, f->out) != size) return false;
    progress_add(p, in, size);
    return true;
}

static void put_number(unsigned char *to, uint32_t number)
{
    for (int i = 0; i < 4; i++) to[i] = (unsigned char)(number >> 8 * i);
}

static bool put_header(const settings *s, files *f, progress *p)
{
    unsigned char header[HEADER] = {0x1F, 0x8B, Z_DEFLATED};
    const char *name = f->name;
    for (const char *at = name; *at != 0; at++)
        if (*at == '/' || *at == PGZ_SEPARATOR) name = at + 1;
    bool named = !s->no_name && strcmp(f->name, "-") != 0;
    if (named) header[3] = HAS_NAME;
    put_number(header + 4, named && f->time > 0 && f->time <= (int64_t)UINT32_MAX ? (uint32_t)f->time : 0);
    header[8] = s->level == 9 ? 2 : s->level == 1 ? 4 : 0;
    header[9] = SYSTEM_UNKNOWN;
    return put(f, p, header, sizeof header, 0) && (!named || put(f, p, name, strlen(name) + 1, 0));
}

static bool put_trailer(files *f, progress *p, uint32_t crc, uint64_t size)
{
    unsigned char trailer[8];
    put_number(trailer, crc);
    put_number(trailer + 4, (uint32_t)size);
    return put(f, p, trailer, sizeof trailer, 0);
}

static int cannot_write(const files *f)
{
    files_message(f->name, "cannot write: %s", strerror(errno));
    return PGZ_ERROR;
}

static int put_blocks(files *f, progress *p, const source *from, spork_imap *blocks)
{
    uLong crc = crc32(0, NULL, 0);
    uint64_t total = 0;
    const spork_future *done;
    spork_status status;
    while ((status = spork_imap_next(blocks, &done, SPORK_FOREVER)) == SPORK_OK) {
        uint32_t its_crc;
        uint64_t size;
        spork_bytes bytes;
        if (spork_future_get(done, SPORK_FOREVER, &its_crc, &size, &bytes) != SPORK_OK) break;
        if (!put(f, p, bytes.data, bytes.size, size)) return cannot_write(f);
        crc = crc32_combine(crc, its_crc, (z_off_t)size);
        total += size;
    }
    if (status == SPORK_CLOSED && from->ended)
        return put_trailer(f, p, (uint32_t)crc, total) ? PGZ_FINE : cannot_write(f);
    if (from->code != 0)
        files_message(f->name, "cannot read: %s", strerror(from->code));
    else
        files_message(f->name, "%s", spork_error());
    return PGZ_ERROR;
}

bool gz_open_pool(settings *s)
{
    spork_pool_options o = {.workers = s->workers, .retries = RETRIES};
    s->pool = spork_pool_new_with(&o);
    if (s->pool == NULL) fprintf(stderr, "pgz: %s\n", spork_error());
    return s->pool != NULL;
}

int gz_compress(const settings *s, files *f, progress *p)
{
    source from = {.in = f->in, .level = s->level, .block = s->block};
    int code = PGZ_ERROR;
    from.room = malloc(DICTIONARY + s->block);
    spork_imap *blocks = spork_pool_imap(s->pool, deflate_block, next_block, &from, 0, true);
    if (blocks == NULL || from.room == NULL)
        files_message(f->name, "%s", blocks == NULL ? spork_error() : "no memory");
    else if (!put_header(s, f, p))
        code = cannot_write(f);
    else
        code = put_blocks(f, p, &from, blocks);
    spork_imap_free(blocks);
    free(from.room);
    return code;
}
