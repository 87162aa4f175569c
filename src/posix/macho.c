/* An image's identity is its LC_UUID, which Apple's linkers always write; without one a hash of its load commands. */
#include "macho.h"

#include <string.h>

/* The load commands, behind the header. false: no image. */
static bool open_commands(const void *data, size_t size, spork__macho_header *h, const unsigned char **commands)
{
    if (size < sizeof *h) return false;
    memcpy(h, data, sizeof *h);
    *commands = (const unsigned char *)data + sizeof *h;
    return h->magic == SPORK__MACHO_MAGIC && h->sizeofcmds <= size - sizeof *h;
}

/* Calls `visit` for each load command, whose cmdsize bytes are there, until it returns true. */
static bool each_command(const void *data, size_t size, bool (*visit)(const unsigned char *, uint32_t, void *),
                         void *user)
{
    spork__macho_header h;
    const unsigned char *at;
    if (!open_commands(data, size, &h, &at)) return false;
    size_t left = h.sizeofcmds;
    for (uint32_t i = 0; i < h.ncmds; i++) {
        spork__macho_command c;
        if (left < sizeof c) return false;
        memcpy(&c, at, sizeof c);
        if (c.cmdsize < sizeof c || c.cmdsize > left) return false;
        if (visit(at, c.cmdsize, user)) return true;
        at += c.cmdsize;
        left -= c.cmdsize;
    }
    return false;
}

/* ---- identity ---- */

static const uint8_t zeros[16];

static bool take_uuid(const unsigned char *at, uint32_t size, void *identity)
{
    spork__macho_uuid c;
    if (size < sizeof c) return false;
    memcpy(&c, at, sizeof c);
    if (c.cmd != SPORK__MACHO_UUID) return false;
    memcpy(identity, c.uuid, sizeof c.uuid);
    return memcmp(c.uuid, zeros, sizeof zeros) != 0; /* room that nobody has filled: any build's */
}

bool spork__macho_identify(const void *data, size_t size, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    spork__macho_header h;
    const unsigned char *commands;
    memset(identity, 0, SPORK__IDENTITY_SIZE);
    if (!open_commands(data, size, &h, &commands)) return false;
    if (each_command(data, size, take_uuid, identity)) return true;
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < h.sizeofcmds; i++) hash = (hash ^ commands[i]) * 0x100000001b3u;
    memcpy(identity, &hash, sizeof hash);
    identity[SPORK__IDENTITY_SIZE - 1] = 1; /* no UUID */
    return true;
}

static uint32_t big_endian(uint32_t x)
{
    uint8_t b[4];
    memcpy(b, &x, sizeof b);
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

bool spork__macho_identify_file(const void *data, size_t size, uint32_t cputype,
                                uint8_t identity[SPORK__IDENTITY_SIZE])
{
    spork__macho_fat fat = {0, 0};
    const unsigned char *at = data;
    if (size >= sizeof fat) memcpy(&fat, data, sizeof fat);
    if (big_endian(fat.magic) != SPORK__MACHO_FAT_MAGIC) return spork__macho_identify(data, size, identity);
    size_t left = size - sizeof fat;
    for (uint32_t i = 0; i < big_endian(fat.nfat_arch) && left >= sizeof(spork__macho_slice); i++) {
        spork__macho_slice slice;
        memcpy(&slice, at + sizeof fat + i * sizeof slice, sizeof slice);
        left -= sizeof slice;
        uint32_t offset = big_endian(slice.offset);
        if (big_endian(slice.cputype) == cputype && offset < size)
            return spork__macho_identify(at + offset, size - offset, identity);
    }
    return false;
}

/* ---- code ---- */

typedef struct code_search {
    uint64_t offset; /* from the header */
    uint64_t text;   /* the header's own address before the slide */
    bool found;
} code_search;

static bool take_segment(const unsigned char *at, uint32_t size, spork__macho_segment *segment)
{
    if (size < sizeof *segment) return false;
    memcpy(segment, at, sizeof *segment);
    return segment->cmd == SPORK__MACHO_SEGMENT;
}

static bool take_text(const unsigned char *at, uint32_t size, void *user)
{
    code_search *s = user;
    spork__macho_segment segment;
    if (!take_segment(at, size, &segment) || strncmp(segment.segname, "__TEXT", sizeof segment.segname) != 0)
        return false;
    s->text = segment.vmaddr;
    return true;
}

static bool holds(const unsigned char *at, uint32_t size, void *user)
{
    code_search *s = user;
    spork__macho_segment segment;
    if (!take_segment(at, size, &segment) || !(segment.initprot & SPORK__MACHO_CODE)) return false;
    uint64_t address = s->text + s->offset;
    s->found = address >= segment.vmaddr && address - segment.vmaddr < segment.vmsize;
    return s->found;
}

bool spork__macho_holds_code(const void *data, size_t size, uint64_t offset)
{
    code_search s = {offset, 0, false};
    each_command(data, size, take_text, &s);
    each_command(data, size, holds, &s);
    return s.found;
}
