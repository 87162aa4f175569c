/* Executables and libraries in ELF: by dl_iterate_phdr, which knows those of static programs too.
 *
 * An image's identity is its build-id, a note that linkers write by default on most systems; where it was left out, a
 * hash of its program headers and code, which is the same in the file and in memory. */
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

typedef ElfW(Phdr) program_header;
typedef ElfW(Nhdr) note_header;

/* ---- identity ---- */

/* An image's bytes: in memory as loaded, or its file as it is. */
typedef struct bytes {
    const unsigned char *base;
    bool file;
    size_t size; /* of the file */
} bytes;

static const unsigned char *segment(const bytes *b, const program_header *p, size_t *size)
{
    *size = (size_t)p->p_filesz;
    if (!b->file) return b->base + p->p_vaddr;
    if (p->p_offset > b->size || p->p_filesz > b->size - p->p_offset) return NULL;
    return b->base + p->p_offset;
}

static bool build_id(const bytes *b, const program_header *p, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    size_t size;
    const unsigned char *at = segment(b, p, &size);
    while (at != NULL && size >= sizeof(note_header)) {
        note_header note;
        memcpy(&note, at, sizeof note);
        size_t name = ((size_t)note.n_namesz + 3) & ~(size_t)3, description = ((size_t)note.n_descsz + 3) & ~(size_t)3;
        if (name > size - sizeof note || description > size - sizeof note - name) return false;
        if (note.n_type == 3 && note.n_namesz == 4 && memcmp(at + sizeof note, "GNU", 4) == 0 && note.n_descsz > 0) {
            size_t used = note.n_descsz < SPORK__IDENTITY_SIZE ? note.n_descsz : SPORK__IDENTITY_SIZE;
            memset(identity, 0, SPORK__IDENTITY_SIZE);
            memcpy(identity, at + sizeof note + name, used);
            return true;
        }
        at += sizeof note + name + description;
        size -= sizeof note + name + description;
    }
    return false;
}

static uint64_t mix(uint64_t hash, const unsigned char *at, size_t size)
{
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    for (; size > 0; size--) hash = (hash ^ *at++) * 0x100000001b3u;
    return hash;
}

static bool hash_code(const bytes *b, const program_header *headers, size_t count,
                      uint8_t identity[SPORK__IDENTITY_SIZE])
{
    uint64_t hash[2] = {0xcbf29ce484222325u, 0x84222325cbf29ce4u};
    for (size_t i = 0; i < count; i++) {
        size_t size = 0;
        const program_header *p = &headers[i];
        uint64_t shape[5] = {p->p_type, p->p_flags, p->p_vaddr, p->p_filesz, p->p_memsz};
        hash[0] = mix(hash[0], (const unsigned char *)shape, sizeof shape);
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X) || (p->p_flags & PF_W)) continue;
        const unsigned char *at = segment(b, p, &size);
        if (at == NULL) return false;
        hash[0] = mix(hash[0], at, size);
        hash[1] = mix(hash[1] ^ hash[0], at, size);
    }
    memset(identity, 0, SPORK__IDENTITY_SIZE);
    memcpy(identity, hash, sizeof hash);
    identity[SPORK__IDENTITY_SIZE - 1] = 1; /* not a build-id */
    return true;
}

static bool identify(const bytes *b, const program_header *headers, size_t count,
                     uint8_t identity[SPORK__IDENTITY_SIZE])
{
    for (size_t i = 0; i < count; i++)
        if (headers[i].p_type == PT_NOTE && build_id(b, &headers[i], identity)) return true;
    return hash_code(b, headers, count, identity);
}

static bool identify_file(const bytes *b, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    ElfW(Ehdr) h;
    if (b->size < sizeof h) return false;
    memcpy(&h, b->base, sizeof h);
    if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
        h.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
        h.e_phentsize != sizeof(program_header) || h.e_phoff > b->size ||
        (size_t)h.e_phnum * sizeof(program_header) > b->size - h.e_phoff)
        return false;
    size_t size = (size_t)h.e_phnum * sizeof(program_header);
    program_header *headers = malloc(size + 1); /* the file's may not be aligned */
    if (headers == NULL) return false;
    memcpy(headers, b->base + h.e_phoff, size);
    bool done = identify(b, headers, h.e_phnum, identity);
    free(headers);
    return done;
}

spork_status spork__os_image_file_identity(const char *path, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    struct stat about;
    int fd = SPORK__SYS(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0) return spork__fail_os(errno, "%s", path);
    bytes b = {NULL, true, 0};
    void *data = MAP_FAILED;
    if (fstat(fd, &about) == 0 && about.st_size > 0) {
        b.size = (size_t)about.st_size;
        data = mmap(NULL, b.size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    close(fd);
    if (data == MAP_FAILED) return spork__fail(SPORK_BAD_MESSAGE, "%s is no shared library", path);
    b.base = data;
    bool done = identify_file(&b, identity);
    munmap(data, b.size);
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
    bytes b = {(const unsigned char *)(uintptr_t)info->dlpi_addr, false, 0};
    bool is_program = s->first;
    uint8_t identity[SPORK__IDENTITY_SIZE];
    (void)size;
    s->first = false;
    if (s->wanted == NULL) {
        if (!holds_code(info, s->address)) return 0;
        if (s->with_identity) identify(&b, info->dlpi_phdr, info->dlpi_phnum, s->image->identity);
    } else {
        if (is_program != s->wanted->is_program || !identify(&b, info->dlpi_phdr, info->dlpi_phnum, identity) ||
            memcmp(identity, s->wanted->identity, sizeof identity) != 0)
            return 0;
        memcpy(s->image->identity, identity, sizeof identity);
    }
    if (s->with_identity)
        describe(info, is_program, s->image);
    else
        s->image->base = (uintptr_t)info->dlpi_addr;
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
