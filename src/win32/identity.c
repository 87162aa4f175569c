#include "os.h"

#include <bcrypt.h>

#include "alloc.h"

int spork__os_getpid(void) { return (int)GetCurrentProcessId(); }

/* The system tells it by an undocumented, stable call only; the snapshot of all processes, the documented way, takes milliseconds. */
int spork__os_getppid(void)
{
    typedef LONG(WINAPI * query)(HANDLE, int, void *, ULONG, ULONG *);
    struct {
        LONG exit_status;
        void *peb;
        ULONG_PTR affinity;
        LONG priority;
        ULONG_PTR pid, parent;
    } about = {0};
    union {
        FARPROC any;
        query typed;
    } call = {spork__function_of(L"ntdll.dll", "NtQueryInformationProcess")};
    if (call.any == NULL || call.typed(GetCurrentProcess(), 0, &about, sizeof about, NULL) < 0) return 0;
    return (int)about.parent;
}

static uint64_t creation(HANDLE process)
{
    FILETIME created, exited, kernel, user;
    if (!GetProcessTimes(process, &created, &exited, &kernel, &user)) return 0;
    return (uint64_t)created.dwHighDateTime << 32 | created.dwLowDateTime;
}

uint64_t spork__os_start_time(int pid)
{
    if (pid == spork__os_getpid()) return creation(GetCurrentProcess());
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, (DWORD)pid);
    if (process == NULL) return 0;
    uint64_t start = creation(process);
    CloseHandle(process);
    return start;
}

/* Of processes that we may not open, too: another user's, a service's. 0: not known. */
static uint64_t creation_by_list(DWORD pid)
{
    typedef LONG(WINAPI * query)(int, void *, ULONG, ULONG *);
    typedef struct entry { /* SYSTEM_PROCESS_INFORMATION, as far as it has never changed */
        ULONG next, threads;
        LARGE_INTEGER reserved[3], created, user, kernel;
        USHORT length, room;
        wchar_t *name;
        LONG priority;
        HANDLE pid;
    } entry;
    enum { ALL = 5, ROOM = 1 << 20, MOST = 1 << 26 };
    union {
        FARPROC any;
        query typed;
    } call = {spork__function_of(L"ntdll.dll", "NtQuerySystemInformation")};
    uint64_t found = 0;
    for (ULONG room = ROOM, wanted = 0; call.any != NULL && room <= MOST && found == 0; room *= 4) {
        unsigned char *all = spork__alloc(room, "the list of processes");
        if (all == NULL) break;
        LONG code = call.typed(ALL, all, room, &wanted);
        const entry *e = (const entry *)(const void *)all;
        for (bool more = code >= 0; more && found == 0; e = (const entry *)(const void *)((const char *)e + e->next)) {
            if ((DWORD)(uintptr_t)e->pid == pid) found = (uint64_t)e->created.QuadPart;
            more = e->next != 0;
        }
        spork__free(all);
        if (code >= 0) break;
    }
    return found;
}

bool spork__os_process_alive(int pid, uint64_t start)
{
    HANDLE process = SPORK__SYS_HANDLE(OpenProcess(SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION, FALSE, (DWORD)pid));
    if (process == NULL) {
        if (GetLastError() == ERROR_INVALID_PARAMETER) return false; /* no such process; every other failure is doubt */
        uint64_t then = start != 0 ? creation_by_list((DWORD)pid) : 0;
        return then == 0 || then == start;
    }
    uint64_t now = start != 0 ? creation(process) : 0;
    bool alive = (now == 0 || now == start) && WaitForSingleObject(process, 0) != WAIT_OBJECT_0;
    CloseHandle(process);
    return alive;
}

HANDLE spork__process_open(int pid, uint64_t start, DWORD rights)
{
    HANDLE process = OpenProcess(rights | SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION, FALSE, (DWORD)pid);
    if (process == NULL) return NULL;
    if (creation(process) == start && WaitForSingleObject(process, 0) != WAIT_OBJECT_0) return process;
    CloseHandle(process);
    return NULL;
}

/* Threads are suspended here, one by one. */
bool spork__os_process_stopped(int pid)
{
    (void)pid;
    return false;
}

uint64_t spork__os_pid_namespace(void) { return 0; }

uint64_t spork__os_nonce(void)
{
    uint64_t nonce = 0;
    if (BCryptGenRandom(NULL, (PUCHAR)&nonce, sizeof nonce, BCRYPT_USE_SYSTEM_PREFERRED_RNG) != 0)
        nonce = spork__os_now() * 0x9e3779b97f4a7c15u ^ (uint64_t)GetCurrentProcessId() << 40;
    return nonce;
}

int spork__os_thread_count(void) { return 0; }
