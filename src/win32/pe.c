/* An image's identity is the GUID and age of its CodeView record (RSDS: MSVC's /DEBUG, MinGW's -Wl,--build-id); where the linker left it
 * out, a hash of what of its headers, section table and code the loader does not change. */
#include "pe.h"

#include <string.h>

/* Where things are, by the format's description ("PE Format", Microsoft): from the file's beginning, */
enum { DOS_SIZE = 64, DOS_LFANEW = 60 };
/* from the signature, (PE32+, and where PE32 differs) */
enum {
    NT_SECTION_COUNT = 6,
    NT_TIME_STAMP = 8,
    NT_OPTIONAL_SIZE = 20,
    NT_OPTIONAL = 24,
    NT_CODE_SIZE = 28,
    NT_ENTRY_POINT = 40,
    NT_IMAGE_SIZE = 80,
    NT_CHECK_SUM = 88,
    NT_DIRECTORY_COUNT = sizeof(void *) == 8 ? 132 : 116,
    DEBUG_DIRECTORY = 6,
    NT_DEBUG_DIRECTORY = NT_DIRECTORY_COUNT + 4 + DEBUG_DIRECTORY * 8,
    NT_SIZE = sizeof(void *) == 8 ? 264 : 248
};
/* from a section header, */
enum { SECTION_SIZE = 40, SECTION_VIRTUAL_SIZE = 8, SECTION_RVA = 12, SECTION_RAW_SIZE = 16, SECTION_RAW = 20, SECTION_FLAGS = 36 };
/* and from an entry of the debug directory. */
enum { DEBUG_SIZE = 28, DEBUG_TYPE = 12, DEBUG_RVA = 20, DEBUG_CODE_VIEW = 2, MOST_ENTRIES = 64, RSDS_SIZE = 24 };

static const unsigned magic = sizeof(void *) == 8 ? 0x20B : 0x10B;
static const uint32_t is_code = 0x20, is_executable = 0x20000000;

/* An image's bytes: in memory as loaded, or its file as it is. */
typedef struct bytes {
    const unsigned char *base;
    bool file;
    size_t size;
    size_t left; /* still to be hashed */
    const unsigned char *nt, *sections;
    unsigned section_count;
} bytes;

static const uint8_t zeros[16];

static uint16_t get16(const unsigned char *at) { return (uint16_t)(at[0] | at[1] << 8); }
static uint32_t get32(const unsigned char *at) { return get16(at) | (uint32_t)get16(at + 2) << 16; }

static bool inside(const bytes *b, uint64_t offset, uint64_t size)
{
    return offset <= b->size && size <= b->size - offset;
}

static const unsigned char *section(const bytes *b, unsigned i) { return b->sections + (size_t)i * SECTION_SIZE; }

/* `size` bytes at a relative virtual address; NULL if they are not there. */
static const unsigned char *at(const bytes *b, uint32_t rva, uint32_t size)
{
    if (!b->file) return inside(b, rva, size) ? b->base + rva : NULL;
    for (unsigned i = 0; i < b->section_count; i++) {
        uint32_t begin = get32(section(b, i) + SECTION_RVA), raw_size = get32(section(b, i) + SECTION_RAW_SIZE);
        if (rva < begin || rva - begin >= raw_size) continue;
        uint64_t offset = (uint64_t)get32(section(b, i) + SECTION_RAW) + (rva - begin);
        return size <= raw_size - (rva - begin) && inside(b, offset, size) ? b->base + offset : NULL;
    }
    return NULL;
}

static bool open_headers(bytes *b)
{
    if (!inside(b, 0, DOS_SIZE) || memcmp(b->base, "MZ", 2) != 0) return false;
    uint32_t at_nt = get32(b->base + DOS_LFANEW);
    if (at_nt == 0 || at_nt > INT32_MAX || at_nt % 4 != 0 || !inside(b, at_nt, NT_SIZE)) return false;
    b->nt = b->base + at_nt;
    if (memcmp(b->nt, "PE\0\0", 4) != 0 || get16(b->nt + NT_OPTIONAL) != magic) return false;
    b->section_count = get16(b->nt + NT_SECTION_COUNT);
    uint64_t at_sections = (uint64_t)at_nt + NT_OPTIONAL + get16(b->nt + NT_OPTIONAL_SIZE);
    if (!inside(b, at_sections, (uint64_t)b->section_count * SECTION_SIZE)) return false;
    b->sections = b->base + at_sections;
    return true;
}

static bool code_view(const bytes *b, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    if (get32(b->nt + NT_DIRECTORY_COUNT) <= DEBUG_DIRECTORY) return false;
    uint32_t rva = get32(b->nt + NT_DEBUG_DIRECTORY), count = get32(b->nt + NT_DEBUG_DIRECTORY + 4) / DEBUG_SIZE;
    for (uint32_t i = 0; i < count && i < MOST_ENTRIES; i++) {
        const unsigned char *entry = at(b, rva + i * DEBUG_SIZE, DEBUG_SIZE);
        if (entry == NULL) return false;
        const unsigned char *record = get32(entry + DEBUG_TYPE) == DEBUG_CODE_VIEW
                                          ? at(b, get32(entry + DEBUG_RVA), RSDS_SIZE)
                                          : NULL;
        if (record == NULL || memcmp(record, "RSDS", 4) != 0) continue;
        memcpy(identity, record + 4, SPORK__IDENTITY_SIZE); /* GUID and age */
        return memcmp(identity, zeros, 16) != 0;            /* room that nobody has filled: any build's */
    }
    return false;
}

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    for (const unsigned char *p = data; size > 0; size--) hash = (hash ^ *p++) * 0x100000001b3u; /* FNV-1a */
    return hash;
}

/* Code does not overlap in what a linker writes. A file in which it does could take the square of its size to read, and is none. */
static bool hash_image(bytes *b, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    const uint32_t shape[] = {get32(b->nt + NT_TIME_STAMP), get32(b->nt + NT_CHECK_SUM), /* not ImageBase, which the loader writes */
                              get32(b->nt + NT_IMAGE_SIZE), get32(b->nt + NT_ENTRY_POINT), get32(b->nt + NT_CODE_SIZE)};
    uint64_t hash[2];
    hash[0] = mix(0xcbf29ce484222325u, shape, sizeof shape);
    hash[0] = mix(hash[0], b->sections, (size_t)b->section_count * SECTION_SIZE);
    hash[1] = ~hash[0];
    for (unsigned i = 0; sizeof(void *) == 8 && i < b->section_count; i++) { /* 32-bit code is relocated */
        const unsigned char *s = section(b, i);
        uint32_t virtual_size = get32(s + SECTION_VIRTUAL_SIZE), raw_size = get32(s + SECTION_RAW_SIZE);
        uint32_t size = virtual_size < raw_size ? virtual_size : raw_size;
        const void *code = get32(s + SECTION_FLAGS) & is_code ? at(b, get32(s + SECTION_RVA), size) : NULL;
        if (code == NULL) continue;
        if (size > b->left) return false;
        b->left -= size;
        hash[1] = mix(hash[1], code, size);
    }
    memset(identity, 0, SPORK__IDENTITY_SIZE);
    memcpy(identity, hash, sizeof hash);
    identity[SPORK__IDENTITY_SIZE - 1] = 0xff; /* no age is that large: not a GUID */
    return true;
}

static bool identify(bytes *b, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    b->left = b->size;
    return open_headers(b) && (code_view(b, identity) || hash_image(b, identity));
}

bool spork__pe_identify(const void *module, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    bytes b = {.base = module, .size = SIZE_MAX / 2};
    return identify(&b, identity);
}

bool spork__pe_identify_file(const void *data, size_t size, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    bytes b = {.base = data, .file = true, .size = size};
    return identify(&b, identity);
}

bool spork__pe_holds_code(const void *module, uintptr_t rva)
{
    bytes b = {.base = module, .size = SIZE_MAX / 2};
    if (!open_headers(&b)) return false;
    for (unsigned i = 0; i < b.section_count; i++) {
        const unsigned char *s = section(&b, i);
        uint32_t begin = get32(s + SECTION_RVA);
        if (get32(s + SECTION_FLAGS) & is_executable && rva >= begin && rva - begin < get32(s + SECTION_VIRTUAL_SIZE))
            return true;
    }
    return false;
}
