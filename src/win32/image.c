/* Executables and DLLs in PE. An image's identity is the GUID and age of its CodeView record (RSDS: MSVC's /DEBUG, MinGW's
 * -Wl,--build-id); where the linker left it out, a hash of what of its headers, section table and code the loader does not
 * change. */
#include "os.h"

#include <psapi.h>
#include <stdio.h>
#include <string.h>

/* ---- identity ---- */

/* An image's bytes: in memory as loaded, or its file as it is. */
typedef struct bytes {
    const unsigned char *base;
    bool file;
    size_t size;
    const IMAGE_NT_HEADERS *nt;
    const IMAGE_SECTION_HEADER *sections;
} bytes;

static bool inside(const bytes *b, uint64_t offset, uint64_t size)
{
    return offset <= b->size && size <= b->size - offset;
}

/* `size` bytes at a relative virtual address; NULL if they are not there. */
static const void *at(const bytes *b, uint32_t rva, uint32_t size)
{
    if (!b->file) return inside(b, rva, size) ? b->base + rva : NULL;
    for (unsigned i = 0; i < b->nt->FileHeader.NumberOfSections; i++) {
        const IMAGE_SECTION_HEADER *s = &b->sections[i];
        if (rva < s->VirtualAddress || rva - s->VirtualAddress >= s->SizeOfRawData) continue;
        uint64_t offset = (uint64_t)s->PointerToRawData + (rva - s->VirtualAddress);
        return size <= s->SizeOfRawData - (rva - s->VirtualAddress) && inside(b, offset, size) ? b->base + offset
                                                                                               : NULL;
    }
    return NULL;
}

static bool open_headers(bytes *b)
{
    const IMAGE_DOS_HEADER *dos = (const void *)b->base;
    if (!inside(b, 0, sizeof *dos) || dos->e_magic != IMAGE_DOS_SIGNATURE || dos->e_lfanew <= 0 ||
        dos->e_lfanew % 4 != 0 || !inside(b, (uint64_t)dos->e_lfanew, sizeof *b->nt))
        return false;
    b->nt = (const void *)(b->base + dos->e_lfanew);
    if (b->nt->Signature != IMAGE_NT_SIGNATURE || b->nt->OptionalHeader.Magic != IMAGE_NT_OPTIONAL_HDR_MAGIC)
        return false;
    b->sections = IMAGE_FIRST_SECTION(b->nt);
    return inside(b, (uint64_t)((const unsigned char *)b->sections - b->base),
                  (uint64_t)b->nt->FileHeader.NumberOfSections * sizeof *b->sections);
}

static bool code_view(const bytes *b, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    if (b->nt->OptionalHeader.NumberOfRvaAndSizes <= IMAGE_DIRECTORY_ENTRY_DEBUG) return false;
    IMAGE_DATA_DIRECTORY d = b->nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_DEBUG];
    for (uint32_t i = 0; i < d.Size / sizeof(IMAGE_DEBUG_DIRECTORY); i++) {
        const IMAGE_DEBUG_DIRECTORY *entry = at(b, d.VirtualAddress + i * (uint32_t)sizeof *entry, sizeof *entry);
        if (entry == NULL) return false;
        const unsigned char *record =
            entry->Type == IMAGE_DEBUG_TYPE_CODEVIEW ? at(b, entry->AddressOfRawData, 24) : NULL;
        if (record == NULL || memcmp(record, "RSDS", 4) != 0) continue;
        memcpy(identity, record + 4, SPORK__IDENTITY_SIZE); /* GUID and age */
        return true;
    }
    return false;
}

static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    for (const unsigned char *p = data; size > 0; size--) hash = (hash ^ *p++) * 0x100000001b3u; /* FNV-1a */
    return hash;
}

static void hash_image(const bytes *b, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    const IMAGE_OPTIONAL_HEADER *o = &b->nt->OptionalHeader; /* not its ImageBase, which the loader writes */
    uint32_t shape[] = {b->nt->FileHeader.TimeDateStamp, o->CheckSum, o->SizeOfImage, o->AddressOfEntryPoint,
                        o->SizeOfCode};
    uint64_t hash[2];
    hash[0] = mix(0xcbf29ce484222325u, shape, sizeof shape);
    hash[0] = mix(hash[0], b->sections, b->nt->FileHeader.NumberOfSections * sizeof *b->sections);
    hash[1] = ~hash[0];
    for (unsigned i = 0; sizeof(void *) == 8 && i < b->nt->FileHeader.NumberOfSections;
         i++) { /* 32-bit code is relocated */
        const IMAGE_SECTION_HEADER *s = &b->sections[i];
        uint32_t size = s->Misc.VirtualSize < s->SizeOfRawData ? s->Misc.VirtualSize : s->SizeOfRawData;
        const void *code = s->Characteristics & IMAGE_SCN_CNT_CODE ? at(b, s->VirtualAddress, size) : NULL;
        if (code != NULL) hash[1] = mix(hash[1], code, size);
    }
    memset(identity, 0, SPORK__IDENTITY_SIZE);
    memcpy(identity, hash, sizeof hash);
    identity[SPORK__IDENTITY_SIZE - 1] = 0xff; /* no age is that large: not a GUID */
}

static bool identify(bytes *b, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    if (!open_headers(b)) return false;
    if (!code_view(b, identity)) hash_image(b, identity);
    return true;
}

static bool identify_module(HMODULE module, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    bytes b = {(const unsigned char *)module, false, SIZE_MAX / 2, NULL, NULL};
    return identify(&b, identity);
}

spork_status spork__os_image_file_identity(const char *path, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    wchar_t wide[1024];
    LARGE_INTEGER size = {.QuadPart = 0};
    if (!spork__wide(path, wide, 1024)) return spork__fail(SPORK_INVALID, "%s is no path", path);
    HANDLE file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE) return SPORK__FAIL("%s", path);
    HANDLE section = GetFileSizeEx(file, &size) && size.QuadPart > 0
                         ? CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL)
                         : NULL;
    const void *data = section != NULL ? MapViewOfFile(section, FILE_MAP_READ, 0, 0, 0) : NULL;
    bytes b = {data, true, (size_t)size.QuadPart, NULL, NULL};
    bool done = data != NULL && identify(&b, identity);
    if (data != NULL) UnmapViewOfFile(data);
    if (section != NULL) CloseHandle(section);
    CloseHandle(file);
    return done ? SPORK_OK : spork__fail(SPORK_BAD_MESSAGE, "%s is no library of this machine", path);
}

/* ---- loaded images ---- */

static bool holds_code(HMODULE module, uintptr_t address)
{
    bytes b = {(const unsigned char *)module, false, SIZE_MAX / 2, NULL, NULL};
    if (!open_headers(&b)) return false;
    for (unsigned i = 0; i < b.nt->FileHeader.NumberOfSections; i++) {
        const IMAGE_SECTION_HEADER *s = &b.sections[i];
        uintptr_t begin = (uintptr_t)module + s->VirtualAddress;
        if (s->Characteristics & IMAGE_SCN_MEM_EXECUTE && address >= begin && address - begin < s->Misc.VirtualSize)
            return true;
    }
    return false;
}

static spork_status describe(HMODULE module, bool with_identity, spork__os_image *image)
{
    wchar_t wide[1024];
    image->base = (uintptr_t)module;
    image->is_program = module == GetModuleHandleW(NULL);
    if (!with_identity) return SPORK_OK;
    DWORD n = GetModuleFileNameW(module, wide, 1024);
    if (n == 0 || n == 1024 || !spork__narrow(wide, image->path, sizeof image->path)) image->path[0] = 0;
    return identify_module(module, image->identity) ? SPORK_OK
                                                    : spork__fail(SPORK_INTERNAL, "%s is no image", image->path);
}

spork_status spork__os_image_of(uintptr_t address, bool with_identity, spork__os_image *image)
{
    HMODULE module = NULL;
    if (!GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                            (LPCWSTR)address, &module) ||
        !holds_code(module, address))
        return spork__fail(SPORK_NOT_FOUND, "%p is in no image", (void *)address);
    return describe(module, with_identity, image);
}

static bool matches(HMODULE module, const spork__os_image *wanted)
{
    uint8_t identity[SPORK__IDENTITY_SIZE];
    return module != NULL && (module == GetModuleHandleW(NULL)) == wanted->is_program &&
           identify_module(module, identity) && memcmp(identity, wanted->identity, sizeof identity) == 0;
}

bool spork__os_image_holds_code(uintptr_t address)
{
    spork__os_image unused;
    return spork__os_image_of(address, false, &unused) == SPORK_OK;
}

spork_status spork__os_image_find(const spork__os_image *wanted, spork__os_image *found)
{
    wchar_t wide[1024];
    HMODULE modules[1024], module = wanted->is_program ? GetModuleHandleW(NULL) : NULL;
    DWORD bytes_used = 0;
    if (module == NULL && spork__wide(wanted->path, wide, 1024)) module = GetModuleHandleW(wide);
    if (matches(module, wanted)) return describe(module, true, found);
    /* the same build under another path */
    if (!wanted->is_program && EnumProcessModules(GetCurrentProcess(), modules, sizeof modules, &bytes_used))
        for (size_t i = 0; i < bytes_used / sizeof *modules && i < 1024; i++)
            if (matches(modules[i], wanted)) return describe(modules[i], true, found);
    return spork__fail(SPORK_NOT_FOUND, "%s is not loaded", wanted->path);
}

spork_status spork__os_image_load(const char *path)
{
    wchar_t wide[1024];
    if (!spork__wide(path, wide, 1024)) return spork__fail(SPORK_INVALID, "%s is no path", path);
    if (LoadLibraryExW(wide, NULL, LOAD_WITH_ALTERED_SEARCH_PATH) != NULL) return SPORK_OK;
    return SPORK__FAIL("%s cannot be loaded", path);
}
