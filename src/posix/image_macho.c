/* Executables and libraries in Mach-O. An image's identity is its LC_UUID, which Apple's linkers always write; without one a
 * hash of its load commands. */
#include "os.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <mach-o/dyld.h>
#include <mach-o/fat.h>
#include <mach-o/loader.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct mach_header_64 header;

/* ---- identity ---- */

/* Calls `visit` for each load command until it returns true. `room`: bytes that exist from the header on. */
static bool each_command(const header *h, size_t room, bool (*visit)(const struct load_command *, void *), void *user)
{
    if (room < sizeof *h || h->magic != MH_MAGIC_64 || h->sizeofcmds > room - sizeof *h) return false;
    const unsigned char *at = (const unsigned char *)(h + 1), *end = at + h->sizeofcmds;
    for (uint32_t i = 0; i < h->ncmds; i++) {
        struct load_command c;
        if ((size_t)(end - at) < sizeof c) return false;
        memcpy(&c, at, sizeof c);
        if (c.cmdsize < sizeof c || c.cmdsize > (size_t)(end - at)) return false;
        if (visit((const struct load_command *)(const void *)at, user)) return true;
        at += c.cmdsize;
    }
    return false;
}

static bool take_uuid(const struct load_command *c, void *identity)
{
    if (c->cmd != LC_UUID || c->cmdsize < sizeof(struct uuid_command)) return false;
    memcpy(identity, ((const struct uuid_command *)(const void *)c)->uuid, 16);
    return true;
}

static bool identify(const header *h, size_t room, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    memset(identity, 0, SPORK__IDENTITY_SIZE);
    if (each_command(h, room, take_uuid, identity)) return true;
    if (room < sizeof *h || h->magic != MH_MAGIC_64 || h->sizeofcmds > room - sizeof *h) return false;
    uint64_t hash = 0xcbf29ce484222325u;
    const unsigned char *at = (const unsigned char *)(h + 1);
    for (uint32_t i = 0; i < h->sizeofcmds; i++) hash = (hash ^ at[i]) * 0x100000001b3u;
    memcpy(identity, &hash, sizeof hash);
    identity[SPORK__IDENTITY_SIZE - 1] = 1; /* no UUID */
    return true;
}

static uint32_t big_endian(uint32_t x) { return x >> 24 | (x >> 8 & 0xff00) | (x << 8 & 0xff0000) | x << 24; }

/* The slice of a universal file that this machine runs. */
static bool identify_file(const unsigned char *data, size_t size, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    struct fat_header fat;
    const header *self = (const header *)_dyld_get_image_header(0);
    if (size >= sizeof fat) memcpy(&fat, data, sizeof fat);
    if (size < sizeof fat || big_endian(fat.magic) != FAT_MAGIC)
        return identify((const header *)(const void *)data, size, identity);
    for (uint32_t i = 0; i < big_endian(fat.nfat_arch) && (i + 1) * sizeof(struct fat_arch) <= size - sizeof fat; i++) {
        struct fat_arch arch;
        memcpy(&arch, data + sizeof fat + i * sizeof arch, sizeof arch);
        uint32_t offset = big_endian(arch.offset);
        if ((cpu_type_t)big_endian((uint32_t)arch.cputype) == self->cputype && offset < size && offset % 8 == 0)
            return identify((const header *)(const void *)(data + offset), size - offset, identity);
    }
    return false;
}

spork_status spork__os_image_file_identity(const char *path, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    struct stat about;
    int fd = SPORK__SYS(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0) return spork__fail_os(errno, "%s", path);
    void *data = MAP_FAILED;
    size_t size = 0;
    if (fstat(fd, &about) == 0 && about.st_size > 0) {
        size = (size_t)about.st_size;
        data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    close(fd);
    bool done = data != MAP_FAILED && identify_file(data, size, identity);
    if (data != MAP_FAILED) munmap(data, size);
    return done ? SPORK_OK : spork__fail(SPORK_BAD_MESSAGE, "%s is no library of this machine", path);
}

/* ---- loaded images ---- */

typedef struct code_search {
    uintptr_t offset; /* from the header */
    uintptr_t text;   /* the header's own address before the slide */
    bool found;
} code_search;

static bool take_text(const struct load_command *c, void *user)
{
    code_search *s = user;
    const struct segment_command_64 *segment = (const void *)c;
    if (c->cmd != LC_SEGMENT_64 || strcmp(segment->segname, SEG_TEXT) != 0) return false;
    s->text = (uintptr_t)segment->vmaddr;
    return true;
}

static bool holds(const struct load_command *c, void *user)
{
    code_search *s = user;
    const struct segment_command_64 *segment = (const void *)c;
    if (c->cmd != LC_SEGMENT_64 || !(segment->initprot & VM_PROT_EXECUTE)) return false;
    uintptr_t address = s->text + s->offset;
    s->found = address >= segment->vmaddr && address - segment->vmaddr < segment->vmsize;
    return s->found;
}

static bool holds_code(const header *h, uintptr_t address)
{
    code_search s = {address - (uintptr_t)h, 0, false};
    each_command(h, SIZE_MAX / 2, take_text, &s);
    each_command(h, SIZE_MAX / 2, holds, &s);
    return s.found;
}

static bool is_program(const header *h) { return h->filetype == MH_EXECUTE; }

static spork_status describe(const header *h, const char *name, bool with_identity, spork__os_image *image)
{
    char real[PATH_MAX];
    image->base = (uintptr_t)h;
    image->is_program = is_program(h);
    if (!with_identity) return SPORK_OK;
    if (image->is_program)
        name = spork__os_program_path();
    else if (realpath(name, real) != NULL)
        name = real;
    size_t length = strlen(name) < sizeof image->path ? strlen(name) : 0;
    memcpy(image->path, name, length);
    image->path[length] = 0;
    return identify(h, SIZE_MAX / 2, image->identity) ? SPORK_OK : spork__fail(SPORK_INTERNAL, "%s is no image", name);
}

spork_status spork__os_image_of(uintptr_t address, bool with_identity, spork__os_image *image)
{
    Dl_info info;
    if (dladdr((const void *)address, &info) == 0 || !holds_code(info.dli_fbase, address))
        return spork__fail(SPORK_NOT_FOUND, "%p is in no image", (void *)address);
    return describe(info.dli_fbase, info.dli_fname, with_identity, image);
}

bool spork__os_image_holds_code(uintptr_t address)
{
    spork__os_image unused;
    return spork__os_image_of(address, false, &unused) == SPORK_OK;
}

spork_status spork__os_image_find(const spork__os_image *wanted, spork__os_image *found)
{
    uint8_t identity[SPORK__IDENTITY_SIZE];
    for (uint32_t i = 0; i < _dyld_image_count(); i++) {
        const header *h = (const header *)_dyld_get_image_header(i);
        if (h != NULL && is_program(h) == wanted->is_program && identify(h, SIZE_MAX / 2, identity) &&
            memcmp(identity, wanted->identity, sizeof identity) == 0)
            return describe(h, _dyld_get_image_name(i), true, found);
    }
    return spork__fail(SPORK_NOT_FOUND, "%s is not loaded", wanted->path);
}

spork_status spork__os_image_load(const char *path)
{
    if (dlopen(path, RTLD_NOW | RTLD_LOCAL) != NULL) return SPORK_OK;
    return spork__fail(SPORK_NOT_FOUND, "%s cannot be loaded: %s", path, dlerror());
}
