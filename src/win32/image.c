/* Executables and DLLs in PE (pe.c), as the loader has them. */
#include "os.h"

#include <psapi.h>
#include <stdio.h>
#include <string.h>

#include "pe.h"

/* ---- files ---- */

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
    bool done = data != NULL && spork__pe_identify_file(data, (size_t)size.QuadPart, identity);
    if (data != NULL) UnmapViewOfFile(data);
    if (section != NULL) CloseHandle(section);
    CloseHandle(file);
    return done ? SPORK_OK : spork__fail(SPORK_BAD_MESSAGE, "%s is no library of this machine", path);
}

/* ---- loaded images ---- */

static spork_status describe(HMODULE module, bool with_identity, spork__os_image *image)
{
    wchar_t wide[1024];
    image->base = (uintptr_t)module;
    image->is_program = module == GetModuleHandleW(NULL);
    if (!with_identity) return SPORK_OK;
    DWORD n = GetModuleFileNameW(module, wide, 1024);
    if (n == 0 || n == 1024 || !spork__narrow(wide, image->path, sizeof image->path)) image->path[0] = 0;
    return spork__pe_identify(module, image->identity) ? SPORK_OK
                                                       : spork__fail(SPORK_INTERNAL, "%s is no image", image->path);
}

spork_status spork__os_image_of(uintptr_t address, bool with_identity, spork__os_image *image)
{
    HMODULE module = NULL;
    if (!GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                            (LPCWSTR)address, &module) ||
        !spork__pe_holds_code(module, address - (uintptr_t)module))
        return spork__fail(SPORK_NOT_FOUND, "%p is in no image", (void *)address);
    return describe(module, with_identity, image);
}

static bool matches(HMODULE module, const spork__os_image *wanted)
{
    uint8_t identity[SPORK__IDENTITY_SIZE];
    return module != NULL && (module == GetModuleHandleW(NULL)) == wanted->is_program &&
           spork__pe_identify(module, identity) && memcmp(identity, wanted->identity, sizeof identity) == 0;
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
