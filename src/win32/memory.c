/* Shared memory as unnamed sections of the paging file, and pipes. */
#include "os.h"

#include <stdio.h>
#include <string.h>

/* ---- handles ---- */

void spork__os_handle_close(spork_native handle)
{
    if (handle != SPORK__NO_HANDLE) CloseHandle(spork__handle(handle));
}

void spork__os_handle_inherit(spork_native handle, bool inherit)
{
    SetHandleInformation(spork__handle(handle), HANDLE_FLAG_INHERIT,
                         inherit ? HANDLE_FLAG_INHERIT : 0);
}

spork_status spork__os_handle_copy(spork_native handle, spork_native *copy)
{
    HANDLE made = NULL, self = GetCurrentProcess();
    bool done = SPORK__SYS(
        DuplicateHandle(self, spork__handle(handle), self, &made, 0, FALSE, DUPLICATE_SAME_ACCESS));
    *copy = done ? spork__native(made) : SPORK__NO_HANDLE;
    return done ? SPORK_OK : SPORK__FAIL("no second handle");
}

/* ---- blocks ---- */

static spork_status new_block(spork__block *block, size_t size, DWORD when)
{
    *block = (spork__block){.handle = SPORK__NO_HANDLE};
    uint64_t bytes = size;
    HANDLE section = SPORK__SYS_HANDLE(CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE | when,
                                                          (DWORD)(bytes >> 32), (DWORD)bytes, NULL));
    if (section == NULL) return SPORK__FAIL("no %zu bytes of shared memory", size);
    void *data = SPORK__SYS_HANDLE(MapViewOfFile(section, FILE_MAP_WRITE, 0, 0, size));
    if (data == NULL) {
        spork_status status = SPORK__FAIL("%zu bytes of shared memory cannot be mapped", size);
        CloseHandle(section);
        return status;
    }
    *block = (spork__block){spork__native(section), data, size};
    return SPORK_OK;
}

/* The paging file keeps room for it from now on. */
spork_status spork__os_block_new(spork__block *block, size_t size) { return new_block(block, size, SEC_COMMIT); }
/* A section that is reserved only would have to be committed page by page; a table is small enough to be there. */
spork_status spork__os_block_new_sparse(spork__block *block, size_t size) { return new_block(block, size, SEC_COMMIT); }
spork_status spork__os_block_populate(const spork__block *block, size_t offset, size_t size)
{
    (void)block, (void)offset, (void)size; /* it is all there */
    return SPORK_OK;
}
spork_status spork__os_block_new_growing(spork__block *block, size_t size)
{
    return new_block(block, size, SEC_RESERVE);
}

/* The system keeps a word for each page of it. */
size_t spork__os_block_spacious(void) { return (size_t)1 << (sizeof(size_t) > 4 ? 32 : 28); }

/* One view's commitment is the section's: all views see it. */
spork_status spork__os_block_commit(const spork__block *block, size_t offset, size_t size)
{
    void *at = (char *)block->data + offset;
    if (size == 0 || SPORK__SYS_HANDLE(VirtualAlloc(at, size, MEM_COMMIT, PAGE_READWRITE)) != NULL) return SPORK_OK;
    return SPORK__FAIL("no memory for %zu bytes more of a shared block", size);
}

/* The system itself counts what it has promised, and refuses more. */
spork_status spork__os_block_afford(size_t size)
{
    (void)size;
    return SPORK_OK;
}

/* Of a growing block what has memory and what has none are regions of their own. */
size_t spork__os_block_committed(const spork__block *block)
{
    MEMORY_BASIC_INFORMATION about;
    size_t bytes = 0;
    for (size_t at = 0; at < block->size; at += about.RegionSize) {
        if (VirtualQuery((char *)block->data + at, &about, sizeof about) == 0) return block->size;
        if (about.State == MEM_COMMIT) bytes += about.RegionSize;
    }
    return bytes < block->size ? bytes : block->size;
}

bool spork__os_block_is_backed(const spork__block *block, size_t offset, size_t size)
{
    MEMORY_BASIC_INFORMATION about;
    if (offset > block->size || size > block->size - offset) return false;
    for (size_t at = offset; at < offset + size;) {
        const char *begin = (const char *)block->data + at;
        if (VirtualQuery(begin, &about, sizeof about) == 0 || about.State != MEM_COMMIT)
            return false;
        at += (size_t)((const char *)about.BaseAddress + about.RegionSize - begin);
    }
    return true;
}

/* What a section has once committed it keeps as long as it lives. */
bool spork__os_block_can_discard(void) { return false; }
void spork__os_block_discard(const spork__block *block, size_t offset, size_t size)
{
    (void)block, (void)offset, (void)size;
}

spork_status spork__os_block_open(spork__block *block, spork_native handle, size_t size)
{
    MEMORY_BASIC_INFORMATION about;
    *block = (spork__block){.handle = SPORK__NO_HANDLE};
    void *data = SPORK__SYS_HANDLE(MapViewOfFile(spork__handle(handle), FILE_MAP_WRITE, 0, 0, 0));
    if (data == NULL) return SPORK__FAIL("a shared block cannot be mapped");
    size_t real = 0; /* regions, as above */
    while (VirtualQuery((char *)data + real, &about, sizeof about) != 0 && about.AllocationBase == data)
        real += about.RegionSize;
    if (real == 0 || real < size) {
        UnmapViewOfFile(data);
        return spork__fail(SPORK_BAD_MESSAGE, "a shared block has less than %zu bytes", size);
    }
    *block = (spork__block){handle, data, size != 0 ? size : real};
    return SPORK_OK;
}

void spork__os_block_close_handle(spork__block *block)
{
    spork__os_handle_close(block->handle);
    block->handle = SPORK__NO_HANDLE;
}

void spork__os_block_abandon(spork__block *block, bool close) { (void)block, (void)close; } /* there is no fork */

void spork__os_block_free(spork__block *block)
{
    if (block->data == NULL) return;
    UnmapViewOfFile(block->data);
    spork__os_block_close_handle(block);
    block->data = NULL;
}

spork_status spork__os_fork_wiped_page(void **page, bool *wiped)
{
    *page = VirtualAlloc(NULL, 4096, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
    *wiped = true; /* there is no fork */
    return *page != NULL ? SPORK_OK : SPORK__FAIL("no memory for a page");
}

/* ---- pipes ---- */

/* What CreatePipe does inside the system, but overlapped on one side: a named pipe that nobody can open any more once it is
 * made, for it has one instance, and whose name nobody can guess before. */
spork_status spork__pipe_overlapped(HANDLE *read_end, HANDLE *write_end)
{
    wchar_t name[80];
    spork__ours o;
    if (!spork__ours_make(&o)) return SPORK__FAIL("this user is unknown");
    swprintf(name, sizeof name / sizeof *name, L"\\\\.\\pipe\\spork-%lu-%016llx", (unsigned long)GetCurrentProcessId(),
             (unsigned long long)spork__os_nonce());
    HANDLE in = spork__fault_call("CreateNamedPipeW")
                    ? INVALID_HANDLE_VALUE
                    : CreateNamedPipeW(name, PIPE_ACCESS_INBOUND | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                                       PIPE_TYPE_BYTE | PIPE_REJECT_REMOTE_CLIENTS, 1, 4096, 4096, 0, &o.attributes);
    if (in == INVALID_HANDLE_VALUE) return SPORK__FAIL("no pipe");
    HANDLE out = CreateFileW(name, GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    if (out == INVALID_HANDLE_VALUE) {
        spork_status status = SPORK__FAIL("no pipe");
        CloseHandle(in);
        return status;
    }
    *read_end = in;
    *write_end = out;
    return SPORK_OK;
}
