#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
/* after it */
#include <dbghelp.h>
#include <process.h>
#include <tlhelp32.h>
#endif
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

#if defined(_WIN32) && defined(__x86_64__)

static void show_frame(DWORD64 address)
{
    char room[sizeof(SYMBOL_INFO) + 200] = {0}, file[MAX_PATH] = "?";
    SYMBOL_INFO *symbol = (SYMBOL_INFO *)(void *)room;
    DWORD64 beyond = 0;
    HMODULE module = NULL;
    symbol->SizeOfStruct = sizeof *symbol;
    symbol->MaxNameLen = 200;
    GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                       (const char *)(uintptr_t)address, &module);
    if (module != NULL) GetModuleFileNameA(module, file, sizeof file);
    const char *name = strrchr(file, '\\') != NULL ? strrchr(file, '\\') + 1 : file;
    bool known = SymFromAddr(GetCurrentProcess(), address, &beyond, symbol) != FALSE;
    fprintf(stderr, "    %s+%llx %s+%llx\n", name, (unsigned long long)(address - (DWORD64)(uintptr_t)module),
            known ? symbol->Name : "", (unsigned long long)beyond);
}

static void show_stack(DWORD id)
{
    CONTEXT context = {.ContextFlags = CONTEXT_FULL};
    HANDLE thread = OpenThread(THREAD_ALL_ACCESS, FALSE, id);
    if (thread == NULL) return;
    fprintf(stderr, "  thread %lx\n", id);
    SuspendThread(thread);
    if (GetThreadContext(thread, &context)) {
        STACKFRAME64 frame = {.AddrPC = {.Offset = context.Rip, .Mode = AddrModeFlat},
                              .AddrFrame = {.Offset = context.Rbp, .Mode = AddrModeFlat},
                              .AddrStack = {.Offset = context.Rsp, .Mode = AddrModeFlat}};
        for (int i = 0; i < 24 && frame.AddrPC.Offset != 0; i++) {
            show_frame(frame.AddrPC.Offset);
            if (!StackWalk64(IMAGE_FILE_MACHINE_AMD64, GetCurrentProcess(), thread, &frame, &context, NULL,
                             SymFunctionTableAccess64, SymGetModuleBase64, NULL))
                break;
        }
    }
    ResumeThread(thread);
    CloseHandle(thread);
}

static _Atomic ULONGLONG patience_ends;

static unsigned __stdcall watch(void *unused)
{
    THREADENTRY32 entry = {.dwSize = sizeof entry};
    (void)unused;
    while (GetTickCount64() < patience_ends) Sleep(500);
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    SymInitialize(GetCurrentProcess(), NULL, TRUE);
    fprintf(stderr, "this test hangs; where its threads are:\n");
    for (BOOL more = Thread32First(all, &entry); more; more = Thread32Next(all, &entry))
        if (entry.th32OwnerProcessID == GetCurrentProcessId() && entry.th32ThreadID != GetCurrentThreadId())
            show_stack(entry.th32ThreadID);
    fflush(stderr);
    CloseHandle(all);
    return 0;
}

void harness_tell_where_it_hangs(int seconds)
{
    bool first = patience_ends == 0;
    patience_ends = GetTickCount64() + (ULONGLONG)seconds * 1000;
    HANDLE thread = first ? (HANDLE)_beginthreadex(NULL, 0, watch, NULL, 0, NULL) : NULL;
    if (thread != NULL) CloseHandle(thread);
}

#else
void harness_tell_where_it_hangs(int seconds) { (void)seconds; /* a debugger can be attached here */ }
#endif
