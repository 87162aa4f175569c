#include "os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char program_path[1024];

bool spork__wide(const char *text, wchar_t *wide, size_t room)
{
    return MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, (int)room) > 0;
}

bool spork__narrow(const wchar_t *wide, char *text, size_t room)
{
    return WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, (int)room, NULL, NULL) > 0;
}

spork_status spork__os_remember_program(const char *argv0)
{
    wchar_t path[1024];
    (void)argv0;
    DWORD n = GetModuleFileNameW(NULL, path, sizeof path / sizeof *path);
    if (n == 0 || n == sizeof path / sizeof *path || !spork__narrow(path, program_path, sizeof program_path)) {
        program_path[0] = 0;
        return spork__fail(SPORK_TOO_LARGE, "the path of this program is too long");
    }
    return SPORK_OK;
}

const char *spork__os_program_path(void) { return program_path; }
int spork__os_own_descriptors(int *list, int room)
{
    (void)list, (void)room;
    return 0;
}

bool spork__os_is_privileged(void) { return false; } /* rights belong to the user here, not to the program's file */

const char *spork__os_getenv(const char *name)
{
    static _Thread_local char value[2048];
    wchar_t wide_name[256], wide[2048];
    if (!spork__wide(name, wide_name, 256)) return NULL;
    DWORD n = GetEnvironmentVariableW(wide_name, wide, 2048);
    return n > 0 && n < 2048 && spork__narrow(wide, value, sizeof value) ? value : NULL;
}

FARPROC spork__function_of(const wchar_t *module, const char *name)
{
    HMODULE at = GetModuleHandleW(module);
    return at != NULL ? GetProcAddress(at, name) : NULL;
}

bool spork__os_file_exists(const char *path)
{
    wchar_t wide[1024];
    DWORD about = spork__wide(path, wide, 1024) ? GetFileAttributesW(wide) : INVALID_FILE_ATTRIBUTES;
    return about != INVALID_FILE_ATTRIBUTES && !(about & FILE_ATTRIBUTE_DIRECTORY);
}

void spork__os_write_error(const char *text, size_t size)
{
    DWORD written;
    WriteFile(GetStdHandle(STD_ERROR_HANDLE), text, (DWORD)size, &written, NULL);
}

void spork__os_exit(int code)
{
    /* ExitProcess would first kill the other threads and then let every DLL tidy up: one that waits for a lock which a killed
     * thread held, as the C library for a stream somebody reads from, would hang for ever. */
    TerminateProcess(GetCurrentProcess(), (UINT)code);
    for (;;) Sleep(INFINITE);
}

void spork__os_kill_self(void)
{
    TerminateProcess(GetCurrentProcess(), SPORK__SIGNAL_EXIT | 9);
    for (;;) Sleep(INFINITE);
}

void spork__os_stop_self(void) { SuspendThread(GetCurrentThread()); }

void spork__os_on_exit(void (*fn)(int code)) { (void)fn; } /* nothing is forked here */
void spork__os_exit_hooks(bool forked) { (void)forked; }

/* ---- errors ---- */

const char *spork__os_error_text(int64_t code, char *buffer, size_t size)
{
    wchar_t wide[200];
    DWORD n = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS | FORMAT_MESSAGE_MAX_WIDTH_MASK,
                             NULL, (DWORD)code, 0, wide, 200, NULL);
    while (n > 0 && (wide[n - 1] == L' ' || wide[n - 1] == L'.')) wide[--n] = 0;
    if (n == 0 || !spork__narrow(wide, buffer, size)) snprintf(buffer, size, "error %lld", (long long)code);
    return buffer;
}

spork_status spork__os_status(int64_t code)
{
    switch (code) {
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY: return SPORK_NO_MEMORY;
    case ERROR_COMMITMENT_LIMIT:
    case ERROR_NO_SYSTEM_RESOURCES:
    case ERROR_TOO_MANY_OPEN_FILES:
    case ERROR_MAX_THRDS_REACHED:
    case ERROR_DISK_FULL: return SPORK_NO_SPACE;
    case ERROR_ACCESS_DENIED: return SPORK_DENIED;
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND: return SPORK_NOT_FOUND;
    case ERROR_ALREADY_EXISTS:
    case ERROR_FILE_EXISTS: return SPORK_EXISTS;
    case ERROR_BROKEN_PIPE:
    case ERROR_NO_DATA: return SPORK_CLOSED;
    case ERROR_NOT_SUPPORTED:
    case ERROR_CALL_NOT_IMPLEMENTED: return SPORK_UNSUPPORTED;
    default: return SPORK_OS_ERROR;
    }
}
