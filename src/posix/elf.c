/* An image's identity is its build-id, a note that linkers write by default on most systems; where it was left out, a hash of its
 * program headers and code, which is the same in the file and in memory. */
#include "elf.h"

#include <string.h>

typedef ElfW(Phdr) program_header;
typedef ElfW(Nhdr) note_header;

/* An image's bytes: in memory as loaded, or its file as it is. */
typedef struct bytes {
    const unsigned char *base;
    bool file;
    size_t size;                  /* of the file */
    size_t left;                  /* of the file, still to be read: see segment */
    const unsigned char *headers; /* the file's may not be aligned */
    size_t count;
} bytes;

static const uint8_t zeros[SPORK__IDENTITY_SIZE];

static program_header header_at(const bytes *b, size_t i)
{
    program_header p;
    memcpy(&p, b->headers + i * sizeof p, sizeof p);
    return p;
}

/* No byte belongs to more than a note and a piece of code in what a linker writes: a file that asks for more, which could take the square of
 * its size to read, is none. */
static const unsigned char *segment(bytes *b, const program_header *p, size_t *size)
{
    *size = (size_t)p->p_filesz;
    /* In numbers: a program that is not moved has base 0, and what a null pointer and a number make may be taken for null. */
    if (!b->file) return (const unsigned char *)((uintptr_t)b->base + (uintptr_t)p->p_vaddr);
    if (p->p_offset > b->size || p->p_filesz > b->size - p->p_offset || p->p_filesz > b->left) return NULL;
    b->left -= *size;
    return b->base + p->p_offset;
}

static bool build_id(bytes *b, const program_header *p, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    size_t size;
    const unsigned char *at = segment(b, p, &size);
    while (at != NULL && size >= sizeof(note_header)) {
        note_header note;
        memcpy(&note, at, sizeof note);
        uint64_t name = ((uint64_t)note.n_namesz + 3) & ~(uint64_t)3;
        uint64_t description = ((uint64_t)note.n_descsz + 3) & ~(uint64_t)3;
        if (name > size - sizeof note || description > size - sizeof note - name) return false;
        if (note.n_type == 3 && note.n_namesz == 4 && memcmp(at + sizeof note, "GNU", 4) == 0) {
            size_t used = note.n_descsz < SPORK__IDENTITY_SIZE ? note.n_descsz : SPORK__IDENTITY_SIZE;
            memset(identity, 0, SPORK__IDENTITY_SIZE);
            memcpy(identity, at + sizeof note + name, used);
            return memcmp(identity, zeros, SPORK__IDENTITY_SIZE) != 0; /* room that nobody has filled: any build's */
        }
        at += sizeof note + name + description;
        size -= sizeof note + (size_t)(name + description);
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

static bool hash_code(bytes *b, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    uint64_t hash[2] = {0xcbf29ce484222325u, 0x84222325cbf29ce4u};
    for (size_t i = 0; i < b->count; i++) {
        size_t size = 0;
        program_header p = header_at(b, i);
        uint64_t shape[5] = {p.p_type, p.p_flags, p.p_vaddr, p.p_filesz, p.p_memsz};
        hash[0] = mix(hash[0], (const unsigned char *)shape, sizeof shape);
        if (p.p_type != PT_LOAD || !(p.p_flags & PF_X) || (p.p_flags & PF_W)) continue;
        const unsigned char *at = segment(b, &p, &size);
        if (at == NULL) return false;
        hash[0] = mix(hash[0], at, size);
        hash[1] = mix(hash[1] ^ hash[0], at, size);
    }
    memset(identity, 0, SPORK__IDENTITY_SIZE);
    memcpy(identity, hash, sizeof hash);
    identity[SPORK__IDENTITY_SIZE - 1] = 1; /* not a build-id */
    return true;
}

static bool identify(bytes *b, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    for (size_t i = 0; i < b->count; i++) {
        program_header p = header_at(b, i);
        if (p.p_type == PT_NOTE && build_id(b, &p, identity)) return true;
    }
    return hash_code(b, identity);
}

bool spork__elf_identify(uintptr_t base, const ElfW(Phdr) *headers, size_t count,
                         uint8_t identity[SPORK__IDENTITY_SIZE])
{
    bytes b = {.base = (const unsigned char *)base, .headers = (const unsigned char *)headers, .count = count};
    return identify(&b, identity);
}

bool spork__elf_identify_file(const void *data, size_t size, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    ElfW(Ehdr) h;
    if (size < sizeof h) return false;
    memcpy(&h, data, sizeof h);
    if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 ||
        h.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
        h.e_phentsize != sizeof(program_header) || h.e_phoff > size ||
        (size_t)h.e_phnum * sizeof(program_header) > size - h.e_phoff)
        return false;
    bytes b = {.base = data, .file = true, .size = size, .left = 2 * size, .count = h.e_phnum};
    b.headers = b.base + h.e_phoff;
    return identify(&b, identity);
}
