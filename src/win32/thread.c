#include "os.h"

#include <process.h>

#include "alloc.h"

/* ---- threads that Spork starts ---- */

typedef struct beginning {
    spork__thread_work work;
    wchar_t name[64];
} beginning;

/* Windows 10 and later. */
static void show_name(const wchar_t *name)
{
    typedef HRESULT(WINAPI * describe)(HANDLE, const wchar_t *);
    union {
        FARPROC any;
        describe typed;
    } call = {spork__function_of(L"kernel32.dll", "SetThreadDescription")};
    if (call.any != NULL) call.typed(GetCurrentThread(), name);
}

static volatile bool freeing; /* then the system calls for each value, and no thread ends */

/* What ExitThread leaves to be called: a value of the thread's, which is NULL when its function has
 * returned. */
static DWORD unfinished = FLS_OUT_OF_INDEXES;
static INIT_ONCE unfinished_once = INIT_ONCE_STATIC_INIT;

/* At the end of the process the other threads are gone already, and what they held they hold for
 * ever. */
static bool process_ends(void)
{
    union {
        FARPROC any;
        BOOLEAN(NTAPI *typed)(void);
    } ask = {spork__function_of(L"ntdll.dll", "RtlDllShutdownInProgress")};
    return ask.any != NULL && ask.typed();
}

static void WINAPI cut_short(void *value)
{
    const spork__thread_work *work = freeing || process_ends() ? NULL : value;
    if (work != NULL && work->cut_short != NULL) work->cut_short(work->user);
}

static BOOL CALLBACK make_unfinished(INIT_ONCE *this_once, void *parameter, void **context)
{
    (void)this_once, (void)parameter, (void)context;
    unfinished = FlsAlloc(cut_short);
    return TRUE;
}

static unsigned __stdcall begin(void *at)
{
    beginning b = *(beginning *)at;
    spork__free(at);
    show_name(b.name);
    InitOnceExecuteOnce(&unfinished_once, make_unfinished, NULL, NULL);
    if (unfinished != FLS_OUT_OF_INDEXES)
        FlsSetValue(unfinished, &b.work); /* the stack is there until after the calls */
    b.work.fn(b.work.user);
    if (unfinished != FLS_OUT_OF_INDEXES) FlsSetValue(unfinished, NULL);
    return 0;
}

spork_status spork__os_thread_start(spork__os_thread *thread, const spork__thread_work *work,
                                    const char *name, bool own)
{
    beginning *b = spork__alloc(sizeof *b, "a thread");
    (void)own; /* no signals, and nobody counts threads */
    if (b == NULL) return SPORK_NO_MEMORY;
    b->work = *work;
    if (!spork__wide(name, b->name, 64)) b->name[0] = 0;
    uintptr_t handle = spork__fault_call("_beginthreadex") ? 0 : _beginthreadex(NULL, 0, begin, b, 0, NULL);
    if (handle == 0) {
        spork__free(b);
        return spork__fail_os(ERROR_MAX_THRDS_REACHED, "no thread");
    }
    thread->handle = handle;
    return SPORK_OK;
}

void spork__os_thread_join(spork__os_thread *thread)
{
    WaitForSingleObject((HANDLE)thread->handle, INFINITE);
    CloseHandle((HANDLE)thread->handle);
}

void spork__os_thread_detach(spork__os_thread *thread) { CloseHandle((HANDLE)thread->handle); }

/* ---- the end of any thread ---- */

static DWORD key = FLS_OUT_OF_INDEXES;
static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
static void (*_Atomic at_end)(uintptr_t value);

static void WINAPI end(void *value)
{
    if (value != NULL && !freeing) at_end((uintptr_t)value);
}

static BOOL CALLBACK make_key(INIT_ONCE *this_once, void *parameter, void **context)
{
    (void)this_once, (void)parameter, (void)context;
    key = FlsAlloc(end);
    return TRUE;
}

/* A program that has used all keys up is not told of threads that end; nothing else depends on it. */
void spork__os_at_thread_end(void (*fn)(uintptr_t value), uintptr_t value)
{
    at_end = fn;
    InitOnceExecuteOnce(&once, make_key, NULL, NULL);
    if (key != FLS_OUT_OF_INDEXES) FlsSetValue(key, (void *)value);
}

void spork__os_forget_thread_ends(void)
{
    freeing = true;
    if (key != FLS_OUT_OF_INDEXES) FlsFree(key);
    if (unfinished != FLS_OUT_OF_INDEXES) FlsFree(unfinished);
    key = unfinished = FLS_OUT_OF_INDEXES;
}
