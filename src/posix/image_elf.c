/* Executables and libraries in ELF (elf.c): by dl_iterate_phdr, which knows those of static programs too. */
#include "os.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf.h"

typedef ElfW(Phdr) program_header;

/* ---- files ---- */

spork_status spork__os_image_file_identity(const char *path, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    struct stat about;
    int fd = spork__fd_open(path, O_RDONLY);
    if (fd < 0) return spork__fail_os(errno, "%s", path);
    void *data = MAP_FAILED;
    size_t size = 0;
    if (SPORK__SYS(fstat(fd, &about)) == 0 && about.st_size > 0) {
        size = (size_t)about.st_size;
        data = SPORK__SYS_MAP(mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0));
    }
    spork__sys_close(fd);
    if (data == MAP_FAILED) return spork__fail(SPORK_BAD_MESSAGE, "%s is no shared library", path);
    bool done = spork__elf_identify_file(data, size, identity);
    munmap(data, size);
    return done ? SPORK_OK : spork__fail(SPORK_BAD_MESSAGE, "%s is no shared library of this machine", path);
}

/* ---- loaded images ---- */

typedef struct search {
    uintptr_t address;             /* looked for, or 0 */
    const spork__os_image *wanted; /* or by this identity */
    bool with_identity, found, first;
    spork__os_image *image;
} search;

static bool holds_code(const struct dl_phdr_info *info, uintptr_t address)
{
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const program_header *p = &info->dlpi_phdr[i];
        uintptr_t begin = (uintptr_t)info->dlpi_addr + (uintptr_t)p->p_vaddr;
        if (p->p_type == PT_LOAD && p->p_flags & PF_X && address >= begin && address - begin < p->p_memsz) return true;
    }
    return false;
}

static void describe(const struct dl_phdr_info *info, bool is_program, spork__os_image *image)
{
    char real[PATH_MAX];
    image->base = (uintptr_t)info->dlpi_addr;
    image->is_program = is_program;
    const char *name = is_program ? spork__os_program_path() : info->dlpi_name;
    if (!is_program && realpath(name, real) != NULL) name = real; /* the child may be in another directory */
    size_t length = strlen(name);
    if (length >= sizeof image->path) length = 0; /* a cut path would be another file's */
    memcpy(image->path, name, length);
    image->path[length] = 0;
}

static int visit(struct dl_phdr_info *info, size_t size, void *user)
{
    search *s = user;
    uintptr_t base = (uintptr_t)info->dlpi_addr;
    bool is_program = s->first;
    uint8_t identity[SPORK__IDENTITY_SIZE];
    (void)size;
    s->first = false;
    if (s->wanted == NULL) {
        if (!holds_code(info, s->address)) return 0;
        if (s->with_identity) spork__elf_identify(base, info->dlpi_phdr, info->dlpi_phnum, s->image->identity);
    } else {
        if (is_program != s->wanted->is_program ||
            !spork__elf_identify(base, info->dlpi_phdr, info->dlpi_phnum, identity) ||
            memcmp(identity, s->wanted->identity, sizeof identity) != 0)
            return 0;
        memcpy(s->image->identity, identity, sizeof identity);
    }
    if (s->with_identity)
        describe(info, is_program, s->image);
    else
        s->image->base = base;
    s->found = true;
    return 1;
}

#if SPORK_HAVE_DL_FIND_OBJECT
/* The last address asked for, and where its library was. As long as the library is there, the answer is the same, and the
 * loader tells that without a lock and without a write. */
static bool known_code(uintptr_t address, bool remember)
{
    static _Atomic uintptr_t known, known_map;
    struct dl_find_object found;
    if (_dl_find_object((void *)address, &found) != 0) return false;
    uintptr_t map = (uintptr_t)found.dlfo_link_map ^ (uintptr_t)found.dlfo_map_start;
    if (!remember) return known == address && known_map == map;
    known = 0;
    known_map = map;
    known = address;
    return true;
}
#else
static bool known_code(uintptr_t address, bool remember)
{
    (void)address, (void)remember;
    return false;
}
#endif

bool spork__os_image_holds_code(uintptr_t address)
{
    spork__os_image unused;
    if (known_code(address, false)) return true;
    search s = {.address = address, .first = true, .image = &unused};
    dl_iterate_phdr(visit, &s);
    if (s.found) known_code(address, true);
    return s.found;
}

spork_status spork__os_image_of(uintptr_t address, bool with_identity, spork__os_image *image)
{
    search s = {.address = address, .with_identity = with_identity, .first = true, .image = image};
    dl_iterate_phdr(visit, &s);
    return s.found ? SPORK_OK : spork__fail(SPORK_NOT_FOUND, "%p is in no image", (void *)address);
}

spork_status spork__os_image_find(const spork__os_image *wanted, spork__os_image *found)
{
    search s = {.wanted = wanted, .with_identity = true, .first = true, .image = found};
    dl_iterate_phdr(visit, &s);
    return s.found ? SPORK_OK : spork__fail(SPORK_NOT_FOUND, "%s is not loaded", wanted->path);
}

typedef struct member {
    struct stat file;
    bool first, found;
} member;

static int compare_library(struct dl_phdr_info *info, size_t size, void *user)
{
    member *m = user;
    struct stat about;
    bool program = m->first;
    (void)size;
    m->first = false;
    m->found = !program && strchr(info->dlpi_name, '/') != NULL &&
               stat(info->dlpi_name, &about) == 0 && about.st_dev == m->file.st_dev &&
               about.st_ino == m->file.st_ino;
    return m->found;
}

bool spork__image_is_library(const char *path)
{
    member m = {.first = true};
    if (stat(path, &m.file) != 0) return false;
    dl_iterate_phdr(compare_library, &m);
    return m.found;
}

static int identify_first(struct dl_phdr_info *info, size_t size, void *user)
{
    (void)size;
    spork__elf_identify((uintptr_t)info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum, user);
    return 1;
}

bool spork__image_is_program(const char *path)
{
    uint8_t ours[SPORK__IDENTITY_SIZE] = {0}, theirs[SPORK__IDENTITY_SIZE] = {1};
    dl_iterate_phdr(identify_first, ours);
    return spork__os_image_file_identity(path, theirs) == SPORK_OK &&
           memcmp(ours, theirs, sizeof ours) == 0;
}

/* Weak, so that a static program does not drag the loader in by us; it has no libraries then. */
extern void *dlopen(const char *, int) __attribute__((weak));
extern char *dlerror(void) __attribute__((weak));

spork_status spork__os_image_load(const char *path)
{
    if (dlopen == NULL || dlerror == NULL)
        return spork__fail(SPORK_UNSUPPORTED, "%s cannot be loaded: this program is statically linked", path);
    if (dlopen(path, RTLD_NOW | RTLD_LOCAL) != NULL) return SPORK_OK;
    const char *why = dlerror();
    return spork__fail(SPORK_NOT_FOUND, "%s cannot be loaded: %s", path,
                       why != NULL ? why : "the loader does not say why");
}
