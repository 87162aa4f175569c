/* A child: this program (or the one that was set) started anew. It inherits exactly the handles of a list, and is told who it is
 * by one environment variable:
 *
 *     SPORK_BOOTSTRAP=<record>:<acknowledge>:<interrupt>:<parent's pid>:<nonce>
 *
 * Handles are private; for the moment of the creation there are inheritable duplicates of those that the child gets. A
 * program's own CreateProcess(…, bInheritHandles = TRUE) in that moment would inherit them too, which only a handle list
 * there could prevent; a second start of Spork does not, for it has one. */
#include "os.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#ifndef PROC_THREAD_ATTRIBUTE_JOB_LIST
#define PROC_THREAD_ATTRIBUTE_JOB_LIST 0x0002000D
#endif

static const wchar_t variable[] = L"SPORK_BOOTSTRAP";
static bool is_child;

/* ---- the parent's side ---- */

/* What exists for the creation of one child. */
typedef struct creation {
    HANDLE *list; /* inheritable: our duplicates first, then the user's */
    size_t count, duplicates;
    bool *was_inheritable; /* of the user's */
    HANDLE record, ack, interrupt, standard[3];
    LPPROC_THREAD_ATTRIBUTE_LIST attributes;
    HANDLE jobs[2];
} creation;

static bool listed(const creation *c, HANDLE handle)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->list[i] == handle) return true;
    return false;
}

static HANDLE duplicate(creation *c, HANDLE handle)
{
    HANDLE copy = NULL, self = GetCurrentProcess();
    if (!SPORK__SYS(DuplicateHandle(self, handle, self, &copy, 0, TRUE, DUPLICATE_SAME_ACCESS))) return NULL;
    c->list[c->count++] = copy;
    c->duplicates = c->count;
    return copy;
}

static spork_status duplicate_all(creation *c, const spork__launch *launch, HANDLE ack, HANDLE interrupt)
{
    static const DWORD numbers[3] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
    c->record = duplicate(c, spork__handle(launch->record->handle));
    c->ack = c->record != NULL ? duplicate(c, ack) : NULL;
    c->interrupt = c->ack != NULL ? duplicate(c, interrupt) : NULL;
    if (c->interrupt == NULL) return SPORK__FAIL("a handle cannot be duplicated");
    for (size_t i = 0; i < launch->given_count; i++) {
        launch->given_there[i] = SPORK__NO_HANDLE;
        if (launch->given[i] == SPORK__NO_HANDLE) continue;
        HANDLE copy = duplicate(c, spork__handle(launch->given[i]));
        if (copy == NULL) return SPORK__FAIL("a handle cannot be duplicated");
        launch->given_there[i] = spork__native(copy);
    }
    for (int i = 0; i < 3; i++) { /* a program without a console may have none: then the child has none */
        HANDLE standard = GetStdHandle(numbers[i]);
        if (standard == NULL || standard == INVALID_HANDLE_VALUE) continue;
        c->standard[i] = duplicate(c, standard);
        /* A window program may hold a number there that is no handle (any more): the same as none. */
        if (c->standard[i] == NULL && GetLastError() != ERROR_INVALID_HANDLE)
            return SPORK__FAIL("a standard stream cannot be duplicated");
    }
    return SPORK_OK;
}

/* The user's keep their values, so they themselves become inheritable for the moment. */
static spork_status lend(creation *c, const spork__launch *launch)
{
    for (size_t i = 0; i < launch->pass_count; i++) {
        DWORD flags = 0;
        HANDLE handle = spork__handle(launch->pass[i]);
        if (!GetHandleInformation(handle, &flags))
            return spork__fail(SPORK_INVALID, "pass_fds[%zu]: %lld is no open handle", i, (long long)launch->pass[i]);
        if (listed(c, handle)) continue; /* a list with the same handle twice is refused */
        if (!SetHandleInformation(handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT))
            return SPORK__FAIL("pass_fds[%zu] cannot be inherited", i);
        c->was_inheritable[c->count] = flags & HANDLE_FLAG_INHERIT;
        c->list[c->count++] = handle;
    }
    return SPORK_OK;
}

static void clean_up(creation *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (i < c->duplicates)
            CloseHandle(c->list[i]);
        else if (!c->was_inheritable[i])
            SetHandleInformation(c->list[i], HANDLE_FLAG_INHERIT, 0);
    }
    if (c->attributes != NULL) DeleteProcThreadAttributeList(c->attributes);
    spork__free(c->attributes);
    spork__free(c->list);
    spork__free(c->was_inheritable);
}

static spork_status set_attributes(creation *c, size_t job_count)
{
    SIZE_T size = 0;
    InitializeProcThreadAttributeList(NULL, 2, 0, &size);
    c->attributes = spork__alloc(size, "a child's attributes");
    if (c->attributes == NULL) return SPORK_NO_MEMORY;
    if (!InitializeProcThreadAttributeList(c->attributes, 2, 0, &size)) {
        spork__free(c->attributes);
        c->attributes = NULL;
        return SPORK__FAIL("a child's attributes");
    }
    if (!SPORK__SYS(UpdateProcThreadAttribute(c->attributes, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, c->list,
                                              c->count * sizeof *c->list, NULL, NULL)) ||
        (job_count > 0 && !SPORK__SYS(UpdateProcThreadAttribute(c->attributes, 0, PROC_THREAD_ATTRIBUTE_JOB_LIST,
                                                                c->jobs, job_count * sizeof *c->jobs, NULL, NULL))))
        return SPORK__FAIL("a child's handles and jobs cannot be set");
    return SPORK_OK;
}

/* The environment's block with our variable in it, in the order of names that the system wants. */
static wchar_t *make_environment(const wchar_t *ours)
{
    wchar_t *all = GetEnvironmentStringsW();
    if (all == NULL) return NULL;
    size_t length = 0, own = wcslen(ours) + 1;
    while (all[length] != 0) length += wcslen(all + length) + 1;
    wchar_t *block = spork__alloc((length + own + 2) * sizeof *block, "a child's environment");
    size_t to = 0, name = wcslen(variable);
    bool placed = false;
    for (size_t from = 0; block != NULL && from < length;) {
        size_t n = wcslen(all + from) + 1;
        if (!placed && all[from] != L'=' && _wcsnicmp(all + from, variable, name) > 0) {
            memcpy(block + to, ours, own * sizeof *block);
            to += own;
            placed = true;
        }
        if (_wcsnicmp(all + from, ours, name + 1) != 0) {
            memcpy(block + to, all + from, n * sizeof *block);
            to += n;
        }
        from += n;
    }
    if (block != NULL && !placed) memcpy(block + to, ours, own * sizeof *block);
    FreeEnvironmentStringsW(all);
    return block;
}

/* In the job of a parent that is Spork's, which lets go. Who else has put us into one (a supervisor, a build) may not, and its job does not
 * end with us. */
static bool can_break_away(void)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION job;
    memset(&job, 0, sizeof job);
    return is_child && QueryInformationJobObject(NULL, JobObjectExtendedLimitInformation, &job, sizeof job, NULL) &&
           (job.BasicLimitInformation.LimitFlags & JOB_OBJECT_LIMIT_BREAKAWAY_OK) != 0;
}

/* A busy wine sometimes answers ERROR_INTERNAL_ERROR: the process that it had made died before its first instruction. Nothing of ours
 * has run then, so another one is made; Windows itself does not come here. */
static BOOL create_living(const wchar_t *path, wchar_t *command, DWORD flags, wchar_t *environment, STARTUPINFOEXW *startup,
                          PROCESS_INFORMATION *made)
{
    enum { TRIES = 3 };
    for (int tries = 1;; tries++) {
        BOOL ok = SPORK__SYS(
            CreateProcessW(path, command, NULL, NULL, TRUE, flags, environment, NULL, &startup->StartupInfo, made));
        if (ok || GetLastError() != ERROR_INTERNAL_ERROR || tries == TRIES) return ok;
    }
}

static spork_status create(creation *c, const spork__launch *launch, PROCESS_INFORMATION *made)
{
    STARTUPINFOEXW startup;
    wchar_t ours[160], path[1024], command[1030];
    const char *file = launch->executable != NULL ? launch->executable : spork__os_program_path();
    if (!spork__wide(file, path, 1024)) return spork__fail(SPORK_INVALID, "%s is no path", file);
    swprintf(command, 1030, L"\"%ls\"", path);
    swprintf(ours, 160, L"%ls=%llu:%llu:%llu:%lu:%016" PRIx64, variable, (unsigned long long)(uintptr_t)c->record,
             (unsigned long long)(uintptr_t)c->ack, (unsigned long long)(uintptr_t)c->interrupt,
             (unsigned long)GetCurrentProcessId(), launch->nonce);
    wchar_t *environment = make_environment(ours);
    if (environment == NULL) return spork__fail(SPORK_NO_MEMORY, "no memory for a child's environment");
    memset(&startup, 0, sizeof startup);
    startup.StartupInfo.cb = sizeof startup;
    startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    startup.StartupInfo.hStdInput = c->standard[0];
    startup.StartupInfo.hStdOutput = c->standard[1];
    startup.StartupInfo.hStdError = c->standard[2];
    startup.lpAttributeList = c->attributes;
    DWORD flags = EXTENDED_STARTUPINFO_PRESENT | CREATE_UNICODE_ENVIRONMENT;
    if (GetConsoleWindow() == NULL)
        flags |= CREATE_NO_WINDOW; /* else a console child of a window program would flash one */
    if (launch->outlive_parent && can_break_away()) flags |= CREATE_BREAKAWAY_FROM_JOB;
    BOOL ok = create_living(path, command, flags, environment, &startup, made);
    spork_status status = ok ? SPORK_OK : SPORK__FAIL("%s cannot be started", file);
    spork__free(environment);
    return status;
}

/* Under SPORK__LOCK_START. */
static spork_status spawn(const spork__launch *launch, HANDLE ack, HANDLE interrupt, HANDLE limit_job,
                          PROCESS_INFORMATION *made)
{
    creation c;
    memset(&c, 0, sizeof c);
    size_t room = 6 + launch->given_count + launch->pass_count, job_count = 0;
    c.list = spork__alloc(room * sizeof *c.list, "a child's handles");
    c.was_inheritable = spork__alloc(room * sizeof *c.was_inheritable, "a child's handles");
    spork_status status = c.list == NULL || c.was_inheritable == NULL ? SPORK_NO_MEMORY : SPORK_OK;
    if (status == SPORK_OK && !launch->outlive_parent && (status = spork__children_job(&c.jobs[0])) == SPORK_OK) job_count++;
    if (limit_job != NULL) c.jobs[job_count++] = limit_job;
    if (status == SPORK_OK) status = duplicate_all(&c, launch, ack, interrupt);
    if (status == SPORK_OK) status = lend(&c, launch);
    if (status == SPORK_OK) status = set_attributes(&c, job_count);
    if (status == SPORK_OK) status = create(&c, launch, made);
    clean_up(&c);
    return status;
}

spork_status spork__os_spawn(const spork__launch *launch, spork__child *child)
{
    HANDLE ack_read = NULL, ack_write = NULL, limit_job = NULL;
    PROCESS_INFORMATION made;
    *child = SPORK__NO_CHILD;
    spork_status status = spork__pipe_overlapped(&ack_read, &ack_write);
    if (status != SPORK_OK) return status;
    HANDLE interrupt = SPORK__SYS_HANDLE(CreateEventW(NULL, FALSE, FALSE, NULL));
    if (interrupt == NULL) status = SPORK__FAIL("no event");
    if (status == SPORK_OK) status = spork__job_with_limits(&launch->limits, &limit_job);
    if (status == SPORK_OK) status = spawn(launch, ack_write, interrupt, limit_job, &made);
    CloseHandle(ack_write);
    if (status == SPORK_OK) {
        CloseHandle(made.hThread);
        *child = (spork__child){(int)made.dwProcessId,        0,
                                spork__native(made.hProcess), spork__native(limit_job),
                                spork__native(interrupt),     spork__native(ack_read)};
        return SPORK_OK;
    }
    CloseHandle(ack_read);
    if (interrupt != NULL) CloseHandle(interrupt);
    if (limit_job != NULL) CloseHandle(limit_job);
    return status;
}

/* Reads what came, or waits for it, for the process' end, or for the time to pass. */
static spork__ack read_ack(HANDLE pipe, HANDLE process, int timeout_ms, char *text, DWORD room, DWORD *got)
{
    OVERLAPPED o;
    memset(&o, 0, sizeof o);
    o.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (o.hEvent == NULL) return SPORK__ACK_DIED;
    HANDLE both[2] = {o.hEvent, process};
    BOOL done = ReadFile(pipe, text, room, NULL, &o);
    DWORD code = done ? 0 : GetLastError(), woke = WAIT_OBJECT_0;
    if (code == ERROR_IO_PENDING) {
        woke = WaitForMultipleObjects(2, both, FALSE, timeout_ms < 0 ? INFINITE : (DWORD)timeout_ms);
        if (woke == WAIT_OBJECT_0 + 1)
            woke = WaitForSingleObject(o.hEvent, 100) == WAIT_OBJECT_0 ? WAIT_OBJECT_0 : woke; /* its last words */
        if (woke != WAIT_OBJECT_0) CancelIoEx(pipe, &o);
    }
    bool have = (done || code == ERROR_IO_PENDING) && GetOverlappedResult(pipe, &o, got, TRUE);
    CloseHandle(o.hEvent);
    return have && *got > 0 ? SPORK__ACK_OK : woke == WAIT_TIMEOUT ? SPORK__ACK_TIMEOUT : SPORK__ACK_DIED;
}

spork__ack spork__os_await(spork__child *child, int timeout_ms, char *message, size_t size)
{
    char text[512];
    DWORD got = 0;
    spork__ack ack =
        read_ack(spork__handle(child->ack), spork__handle(child->handle), timeout_ms, text, sizeof text - 1, &got);
    if (ack == SPORK__ACK_TIMEOUT) return ack;
    spork__os_handle_close(child->ack);
    child->ack = SPORK__NO_HANDLE;
    if (ack != SPORK__ACK_OK) return ack;
    text[got] = 0;
    snprintf(message, size, "%s", text + 1);
    return text[0] == '+' ? SPORK__ACK_OK : SPORK__ACK_REFUSED;
}

/* ---- the child's side ---- */

spork_status spork__os_bootstrap(spork__block *record, spork_native *ack, uint64_t *nonce)
{
    wchar_t value[160];
    unsigned long long record_handle, ack_handle, interrupt;
    unsigned long parent;
    DWORD n = GetEnvironmentVariableW(variable, value, 160);
    if (n == 0 || n >= 160) return SPORK_NOT_FOUND;
    int fields =
        swscanf(value, L"%llu:%llu:%llu:%lu:%" SCNx64, &record_handle, &ack_handle, &interrupt, &parent, nonce);
    SetEnvironmentVariableW(variable, NULL); /* it is not for those whom this process starts */
    _wputenv(L"SPORK_BOOTSTRAP=");           /* the C library has a copy */
    if (fields != 5 || parent != (unsigned long)spork__os_getppid()) return SPORK_NOT_FOUND;
    is_child = true;
    spork__crash_install();
    SetHandleInformation((HANDLE)(uintptr_t)record_handle, HANDLE_FLAG_INHERIT, 0);
    SetHandleInformation((HANDLE)(uintptr_t)interrupt, HANDLE_FLAG_INHERIT, 0);
    spork__interrupt_watch((HANDLE)(uintptr_t)interrupt);
    *ack = (spork_native)ack_handle;
    spork_status status = spork__os_block_open(record, (spork_native)record_handle, 0);
    if (status != SPORK_OK) {
        spork__os_acknowledge(*ack, spork_error());
        spork__os_exit(1);
    }
    return SPORK_OK;
}

void spork__os_acknowledge(spork_native ack, const char *message)
{
    char text[512];
    DWORD written;
    if (ack == SPORK__NO_HANDLE) return;
    int n = snprintf(text, sizeof text, "%c%s", message == NULL ? '+' : '-', message == NULL ? "" : message);
    DWORD size = n < (int)sizeof text ? (DWORD)n : (DWORD)sizeof text - 1;
    if (!WriteFile(spork__handle(ack), text, size, &written, NULL))
        spork__os_exit(1); /* the parent takes us for dead */
    CloseHandle(spork__handle(ack));
}
