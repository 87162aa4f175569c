#include "os.h"

#include <psapi.h>
#include <string.h>

spork_status spork__os_check_limits(const spork__limits *limits)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION now;
    HANDLE job = NULL;
    if (limits->max_files != 0)
        return spork__fail(SPORK_UNSUPPORTED, "max_files: Windows does not limit a process' handles");
    spork_status status = spork__job_with_limits(limits, &job);
    if (status != SPORK_OK || job == NULL) return status;
    memset(&now, 0, sizeof now);
    /* Wine takes limits, does not enforce them, and says so when asked again. */
    BOOL told = QueryInformationJobObject(job, JobObjectExtendedLimitInformation, &now, sizeof now, NULL);
    CloseHandle(job);
    DWORD wanted = (limits->max_memory != 0 ? JOB_OBJECT_LIMIT_PROCESS_MEMORY : 0) |
                   (limits->max_cpu_ms != 0 ? JOB_OBJECT_LIMIT_PROCESS_TIME : 0);
    if (told && (now.BasicLimitInformation.LimitFlags & wanted) == wanted) return SPORK_OK;
    return spork__fail(SPORK_UNSUPPORTED,
                       "max_memory, max_cpu_ms: this system does not enforce the limits of job objects");
}

/* Handles came by an explicit list, signals and limits do not travel. */
void spork__os_note_ignored(void) {}
uint32_t spork__os_ignored(void) { return 0; }

spork_status spork__os_adopt(const spork__adopt *adopt)
{
    (void)adopt;
    return SPORK_OK;
}

void spork__os_ignore_interrupts(void) { SetConsoleCtrlHandler(NULL, TRUE); }

/* ---- the running child ---- */

spork_status spork__os_wait(const spork__child *child, int timeout_ms)
{
    if (child->handle == SPORK__NO_HANDLE) return SPORK_OK;
    DWORD result = WaitForSingleObject(spork__handle(child->handle), timeout_ms < 0 ? INFINITE : (DWORD)timeout_ms);
    return result == WAIT_TIMEOUT ? SPORK_TIMEOUT : SPORK_OK;
}

/* The table of process.h. */
static int decode(DWORD code, bool limited)
{
    if ((code & 0xFFFF0000u) == SPORK__SIGNAL_EXIT) return -(int)(code & 0xFF);
    switch (code) {
    case 0xC0000005: /* access violation */
    case 0xC00000FD: /* stack overflow */
    case 0xC0000006: /* in-page error */
    case 0x80000002: /* misaligned */ return -11;
    case 0xC0000094: /* integer division by zero */
    case 0xC0000095: /* integer overflow */
    case 0xC000008E: /* float division by zero */
    case 0xC0000090: /* invalid float operation */ return -8;
    case 0xC000001D: /* illegal instruction */
    case 0xC0000096: /* privileged instruction */ return -4;
    case 0x80000003: /* breakpoint */ return -5;
    case 0xC0000409: /* fast fail: abort() of the universal C runtime */ return -6;
    case 0xC000013A: /* Ctrl-C */ return -2;
    case ERROR_NOT_ENOUGH_QUOTA:
        if (limited) return -24; /* ended by its job for its CPU time */
        break;
    default: break;
    }
    /* exit(-1) and its like are a program's; what else begins so is the system's. */
    return code >= 0x80000000u && code < 0xFFFFFF00u ? SPORK_EXIT_UNKNOWN : (int)(code & 0xFF);
}

spork_status spork__os_reap(spork__child *child, spork__end *end)
{
    DWORD code = 0;
    FILETIME created, exited, kernel, user;
    PROCESS_MEMORY_COUNTERS memory;
    HANDLE process = spork__handle(child->handle);
    memset(end, 0, sizeof *end);
    end->exitcode = SPORK_RUNNING;
    if (WaitForSingleObject(process, 0) == WAIT_TIMEOUT)
        return SPORK_TIMEOUT; /* 259 is a legal exit code: not by that */
    bool known = GetExitCodeProcess(process, &code);
    end->native = code;
    end->exitcode = known ? decode(code, child->job != SPORK__NO_HANDLE) : SPORK_EXIT_UNKNOWN;
    if (GetProcessTimes(process, &created, &exited, &kernel, &user)) {
        uint64_t ticks = ((uint64_t)kernel.dwHighDateTime << 32) + kernel.dwLowDateTime +
                         ((uint64_t)user.dwHighDateTime << 32) + user.dwLowDateTime;
        end->cpu_ms = ticks / 10000;
    }
    if (GetProcessMemoryInfo(process, &memory, sizeof memory)) end->peak_rss = memory.PeakPagefileUsage;
    return SPORK_OK;
}

spork_status spork__os_signal(spork__child *child, spork__signal signal)
{
    if (signal == SPORK__INTERRUPT)
        return SetEvent(spork__handle(child->interrupt)) ? SPORK_OK
                                                         : SPORK__FAIL("process %d cannot be interrupted", child->pid);
    UINT number = signal == SPORK__KILL ? 9 : 15;
    if (SPORK__SYS(TerminateProcess(spork__handle(child->handle), SPORK__SIGNAL_EXIT | number))) return SPORK_OK;
    /* access is denied to one that has just ended */
    if (WaitForSingleObject(spork__handle(child->handle), 0) != WAIT_TIMEOUT) return SPORK_OK;
    return SPORK__FAIL("process %d cannot be ended", child->pid);
}

void spork__os_child_close(spork__child *child)
{
    spork__os_handle_close(child->handle);
    spork__os_handle_close(child->job);
    spork__os_handle_close(child->interrupt);
    spork__os_handle_close(child->ack);
    child->handle = child->job = child->interrupt = child->ack = SPORK__NO_HANDLE;
}
