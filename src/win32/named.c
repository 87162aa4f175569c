/* Shared memory with a name. One that ends with its processes is a named section; one that outlives them is a file in the user's temporary
 * folder, and a section of it. A file appears whole: it is filled under another name. What a kill in between leaves, the next one
 * removes: a file that somebody is at cannot be. */
#include "os.h"

#include <stdio.h>
#include <string.h>

enum { PATH = 600 };

static bool section_name(const char *name, wchar_t wide[PATH])
{
    char text[128];
    snprintf(text, sizeof text, "Local\\spork-shm-%s", name);
    return spork__wide(text, wide, PATH);
}

/* Files that differ in capitals only are the same here, so a capital gets a mark; nor does a dot at the end count, so none is there. */
static void mark_capitals(const char *name, char *text)
{
    for (; *name != 0; *text++ = *name++)
        if (*name >= 'A' && *name <= 'Z') *text++ = '^';
    *text = 0;
}

static bool path_of(const char *name, const char *suffix, wchar_t wide[PATH])
{
    char marked[136], text[180];
    mark_capitals(name, marked);
    snprintf(text, sizeof text, "spork-shm-%s%s", marked, suffix);
    DWORD n = GetTempPathW(PATH - 200, wide);
    return n > 0 && n < PATH - 200 && spork__wide(text, wide + n, 200);
}

/* Takes the section; `size` 0: all of it. */
static spork_status map(spork__block *block, HANDLE section, size_t size)
{
    spork_status status = spork__os_block_open(block, spork__native(section), size);
    if (status != SPORK_OK) CloseHandle(section);
    return status;
}

static HANDLE new_section(HANDLE file, size_t size, const wchar_t *name)
{
    uint64_t bytes = size;
    spork__ours o;
    if (!spork__ours_make(&o)) return NULL;
    return SPORK__SYS_HANDLE(CreateFileMappingW(file, &o.attributes, PAGE_READWRITE, (DWORD)(bytes >> 32), (DWORD)bytes, name));
}

/* Its first word comes last: who finds it earlier waits for that. */
static void write_head(void *data, const void *head, size_t size)
{
    memcpy((char *)data + 4, (const char *)head + 4, size - 4);
    InterlockedExchange((volatile LONG *)data, *(const LONG *)head);
}

static spork_status new_owned(spork__block *block, size_t size, const char *name, const void *head, size_t head_size)
{
    wchar_t wide[PATH];
    if (!section_name(name, wide)) return SPORK__FAIL("the name %s", name);
    HANDLE section = new_section(INVALID_HANDLE_VALUE, size, wide);
    if (section == NULL) return SPORK__FAIL("no %zu bytes of shared memory of the name %s", size, name);
    if (GetLastError() == ERROR_ALREADY_EXISTS) {
        CloseHandle(section);
        return spork__fail(SPORK_EXISTS, "%s exists: a process has it", name);
    }
    spork_status status = map(block, section, size);
    if (status == SPORK_OK) write_head(block->data, head, head_size);
    return status;
}

static void sweep(void)
{
    wchar_t pattern[PATH], path[PATH];
    WIN32_FIND_DATAW found;
    if (!path_of("", "*.new", pattern) || !path_of("", "", path)) return;
    size_t folder = wcslen(path) - wcslen(L"spork-shm-");
    HANDLE search = FindFirstFileW(pattern, &found);
    if (search == INVALID_HANDLE_VALUE) return;
    do
        if (folder + wcslen(found.cFileName) < PATH) {
            wcscpy(path + folder, found.cFileName);
            DeleteFileW(path);
        }
    while (FindNextFileW(search, &found));
    FindClose(search);
}

/* What was found under our name. */
static HANDLE if_ours(HANDLE object)
{
    if (object == NULL || spork__is_ours(object)) return object;
    CloseHandle(object);
    SetLastError(ERROR_ACCESS_DENIED); /* somebody else's */
    return NULL;
}

/* Who removes or renames a file has it for itself for a moment, as has a virus scanner; then it is there again, or gone. */
static HANDLE open_file(const wchar_t *path, DWORD how)
{
    enum { MOMENT_MS = 200 };
    spork__ours o;
    if (!spork__ours_make(&o)) return NULL;
    for (ULONGLONG begin = GetTickCount64();; Sleep(1)) {
        HANDLE file =
            SPORK__SYS_HANDLE(CreateFileW(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
                                          &o.attributes, how, FILE_ATTRIBUTE_NORMAL, NULL));
        if (file != INVALID_HANDLE_VALUE && file != NULL) return if_ours(file);
        DWORD code = GetLastError();
        bool passes = code == ERROR_SHARING_VIOLATION || code == ERROR_ACCESS_DENIED; /* the latter: about to be gone */
        if (!passes || GetTickCount64() - begin >= MOMENT_MS) return NULL;
    }
}

static spork_status open_section_of(spork__block *block, const wchar_t *path, const char *name, DWORD how, size_t size)
{
    HANDLE file = open_file(path, how);
    if (file == NULL) return SPORK__FAIL("no shared memory of the name %s", name);
    HANDLE section = new_section(file, size, NULL);
    spork_status status =
        section != NULL ? map(block, section, size) : SPORK__FAIL("no %zu bytes of shared memory", size);
    CloseHandle(file); /* the section keeps it */
    return status;
}

static spork_status new_manual(spork__block *block, size_t size, const char *name, const void *head, size_t head_size)
{
    char nonce[32];
    wchar_t draft[PATH], path[PATH];
    snprintf(nonce, sizeof nonce, "%016llx", (unsigned long long)spork__os_nonce());
    if (!path_of(nonce, ".new", draft) || !path_of(name, ".shm", path)) return SPORK__FAIL("the name %s", name);
    sweep();
    spork_status status = open_section_of(block, draft, name, CREATE_NEW, size);
    if (status != SPORK_OK) {
        DeleteFileW(draft);
        return status;
    }
    memcpy(block->data, head, head_size);
    spork__os_block_free(block); /* a file that is mapped keeps its name */
    if (!SPORK__SYS(MoveFileExW(draft, path, MOVEFILE_WRITE_THROUGH))) {
        DWORD code = GetLastError();
        DeleteFileW(draft);
        if (code == ERROR_ALREADY_EXISTS || code == ERROR_FILE_EXISTS)
            return spork__fail(SPORK_EXISTS, "%s exists: spork_shm_remove would remove it", name);
        return spork__fail_os((int64_t)code, "the name %s", name);
    }
    status = open_section_of(block, path, name, OPEN_EXISTING, 0);
    if (status != SPORK_OK) DeleteFileW(path);
    return status;
}

static spork_status new_named(spork__block *block, size_t size, const char *name, bool manual, const void *head,
                              size_t head_size)
{
    wchar_t wide[PATH];
    if (!section_name(name, wide)) return SPORK__FAIL("the name %s", name);
    if (!manual) {
        if (path_of(name, ".shm", wide) && GetFileAttributesW(wide) != INVALID_FILE_ATTRIBUTES)
            return spork__fail(SPORK_EXISTS, "%s exists: spork_shm_remove would remove it", name);
        return new_owned(block, size, name, head, head_size);
    }
    HANDLE other = OpenFileMappingW(FILE_MAP_READ, FALSE, wide);
    if (other != NULL) {
        CloseHandle(other);
        return spork__fail(SPORK_EXISTS, "%s exists: a process has it", name);
    }
    return new_manual(block, size, name, head, head_size);
}

/* One at a time, so that of the two kinds only one has a name; whoever dies in here lets the next one in. */
spork_status spork__os_named_new(spork__block *block, size_t size, const char *name, bool manual, const void *head,
                                 size_t head_size, spork__claim *claim)
{
    *claim = SPORK__NO_CLAIM; /* the section's name lasts as long as its handles */
    spork__ours o;
    if (!spork__ours_make(&o)) return SPORK__FAIL("this user is unknown");
    HANDLE mutex = SPORK__SYS_HANDLE(CreateMutexW(&o.attributes, FALSE, L"Local\\spork-shm"));
    if (mutex == NULL) return SPORK__FAIL("the name %s", name);
    DWORD got = WaitForSingleObject(mutex, 10000);
    spork_status status = new_named(block, size, name, manual, head, head_size);
    if (got == WAIT_OBJECT_0 || got == WAIT_ABANDONED) ReleaseMutex(mutex);
    CloseHandle(mutex);
    return status;
}

void spork__os_named_retract(spork__claim *claim) { (void)claim; }
void spork__os_named_abandon(spork__claim *claim) { (void)claim; } /* there is no fork */

spork_status spork__os_named_open(spork__block *block, const char *name)
{
    wchar_t wide[PATH];
    if (!section_name(name, wide)) return SPORK__FAIL("the name %s", name);
    HANDLE section = SPORK__SYS_HANDLE(OpenFileMappingW(FILE_MAP_WRITE | READ_CONTROL, FALSE, wide));
    if (section != NULL && (section = if_ours(section)) == NULL) return SPORK__FAIL("no shared memory of the name %s", name);
    if (section == NULL) {
        if (!path_of(name, ".shm", wide)) return SPORK__FAIL("the name %s", name);
        return open_section_of(block, wide, name, OPEN_EXISTING, 0);
    }
    return map(block, section, 0);
}

spork_status spork__os_named_remove(const char *name)
{
    wchar_t wide[PATH];
    if (!path_of(name, ".shm", wide)) return SPORK__FAIL("the name %s", name);
    if (SPORK__SYS(DeleteFileW(wide))) return SPORK_OK;
    DWORD code = GetLastError();
    if (code == ERROR_FILE_NOT_FOUND && section_name(name, wide)) {
        HANDLE other = OpenFileMappingW(FILE_MAP_READ, FALSE, wide);
        if (other != NULL) {
            CloseHandle(other);
            return spork__fail(SPORK_BAD_STATE, "%s ends with the processes that have it; nobody else can remove it",
                               name);
        }
    }
    if (code == ERROR_SHARING_VIOLATION || code == ERROR_USER_MAPPED_FILE)
        return spork__fail(SPORK_DENIED, "%s cannot be removed while somebody has it open", name);
    return spork__fail_os((int64_t)code, "no shared memory of the name %s", name);
}
