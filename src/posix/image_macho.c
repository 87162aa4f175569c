/* Executables and libraries in Mach-O (macho.c), as dyld has loaded them. */
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

#include "macho.h"

typedef struct mach_header_64 header;

/* What macho.c reads by its own description. */
#define SAME_SIZE(ours, theirs) (sizeof(ours) == sizeof(struct theirs))
#define SAME_PLACE(ours, theirs, member) (offsetof(ours, member) == offsetof(struct theirs, member))
_Static_assert(SAME_SIZE(spork__macho_header, mach_header_64) &&
                   SAME_PLACE(spork__macho_header, mach_header_64, cputype) &&
                   SAME_PLACE(spork__macho_header, mach_header_64, ncmds) &&
                   SAME_PLACE(spork__macho_header, mach_header_64, sizeofcmds),
               "a header");
_Static_assert(SAME_SIZE(spork__macho_command, load_command) && SAME_SIZE(spork__macho_uuid, uuid_command) &&
                   SAME_PLACE(spork__macho_uuid, uuid_command, uuid),
               "load commands");
_Static_assert(SAME_SIZE(spork__macho_segment, segment_command_64) &&
                   SAME_PLACE(spork__macho_segment, segment_command_64, segname) &&
                   SAME_PLACE(spork__macho_segment, segment_command_64, vmaddr) &&
                   SAME_PLACE(spork__macho_segment, segment_command_64, vmsize) &&
                   SAME_PLACE(spork__macho_segment, segment_command_64, initprot),
               "a segment");
_Static_assert(SAME_SIZE(spork__macho_fat, fat_header) && SAME_PLACE(spork__macho_fat, fat_header, nfat_arch) &&
                   SAME_SIZE(spork__macho_slice, fat_arch) && SAME_PLACE(spork__macho_slice, fat_arch, cputype) &&
                   SAME_PLACE(spork__macho_slice, fat_arch, offset),
               "a universal file");
_Static_assert(SPORK__MACHO_MAGIC == MH_MAGIC_64 && SPORK__MACHO_UUID == LC_UUID && SPORK__MACHO_SEGMENT == LC_SEGMENT_64 &&
                   SPORK__MACHO_CODE == VM_PROT_EXECUTE && SPORK__MACHO_FAT_MAGIC == FAT_MAGIC,
               "numbers");

/* Of what the loader has mapped, which is believed. */
static const size_t all = SIZE_MAX / 2;

/* ---- files ---- */

spork_status spork__os_image_file_identity(const char *path, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    struct stat about;
    int fd = spork__fd_open(path, O_RDONLY);
    if (fd < 0) return spork__fail_os(errno, "%s", path);
    void *data = MAP_FAILED;
    size_t size = 0;
    if (fstat(fd, &about) == 0 && about.st_size > 0) {
        size = (size_t)about.st_size;
        data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    spork__sys_close(fd);
    uint32_t cputype = (uint32_t)_dyld_get_image_header(0)->cputype;
    bool done = data != MAP_FAILED && spork__macho_identify_file(data, size, cputype, identity);
    if (data != MAP_FAILED) munmap(data, size);
    return done ? SPORK_OK : spork__fail(SPORK_BAD_MESSAGE, "%s is no library of this machine", path);
}

/* ---- loaded images ---- */

static bool holds_code(const header *h, uintptr_t address)
{
    return spork__macho_holds_code(h, all, address - (uintptr_t)h);
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
    return spork__macho_identify(h, all, image->identity) ? SPORK_OK
                                                          : spork__fail(SPORK_INTERNAL, "%s is no image", name);
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
        if (h != NULL && is_program(h) == wanted->is_program && spork__macho_identify(h, all, identity) &&
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
