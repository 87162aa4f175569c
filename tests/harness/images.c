#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#define _GNU_SOURCE
#include <dlfcn.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "images.h"

int images_function(const spork_args *args)
{
    (void)args;
    return 'f';
}

static int static_function(const spork_args *args)
{
    (void)args;
    return 's';
}

spork_target images_static_function(void) { return static_function; }

const void *images_constant(void)
{
    static const char constant[] = "constant";
    return constant;
}

void *images_variable(void)
{
    static int variable = 1;
    return &variable;
}

typedef spork_target (*getter)(void);

#ifdef _WIN32

static bool widen(const char *text, wchar_t wide[1024])
{
    return MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, 1024) > 0;
}

void *images_load(const char *path)
{
    wchar_t wide[1024];
    return widen(path, wide) ? (void *)LoadLibraryW(wide) : NULL;
}

void images_unload(void *library) { FreeLibrary((HMODULE)library); }

spork_target images_target_of(void *library)
{
    union {
        FARPROC any;
        getter typed;
    } found = {GetProcAddress((HMODULE)library, "plugin_target")};
    return found.any != NULL ? found.typed() : NULL;
}

bool images_replace(const char *with, const char *path)
{
    wchar_t wide_with[1024], wide_path[1024], away[1030];
    if (!widen(with, wide_with) || !widen(path, wide_path)) return false;
    swprintf(away, 1030, L"%ls.old", wide_path);
    return MoveFileW(wide_path, away) && MoveFileW(wide_with, wide_path);
}

#else

void *images_load(const char *path) { return dlopen(path, RTLD_NOW | RTLD_LOCAL); }
void images_unload(void *library) { dlclose(library); }

spork_target images_target_of(void *library)
{
    union {
        void *any;
        getter typed;
    } found = {dlsym(library, "plugin_target")};
    return found.any != NULL ? found.typed() : NULL;
}

bool images_replace(const char *with, const char *path) { return rename(with, path) == 0; }

#endif
