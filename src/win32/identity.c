#include "os.h"

#include <bcrypt.h>

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
    } call = {GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "NtQueryInformationProcess")};
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

bool spork__os_process_alive(int pid, uint64_t start)
{
    HANDLE process = OpenProcess(SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION, FALSE, (DWORD)pid);
    if (process == NULL)
        return GetLastError() != ERROR_INVALID_PARAMETER; /* no such process; every other failure is doubt */
    uint64_t now = start != 0 ? creation(process) : 0;
    bool alive = (now == 0 || now == start) && WaitForSingleObject(process, 0) != WAIT_OBJECT_0;
    CloseHandle(process);
    return alive;
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
