/* How children die here: at once, without a dialog or a debugger, and with an exit code that tells of what. Only children:
 * the host's own handlers are its own. */
#include "os.h"

#include <signal.h>

static LONG WINAPI on_unhandled(EXCEPTION_POINTERS *about)
{
    TerminateProcess(GetCurrentProcess(), about->ExceptionRecord->ExceptionCode);
    return EXCEPTION_EXECUTE_HANDLER;
}

/* A stack overflow leaves no stack for the search of a filter: it is met on the way in. */
static LONG WINAPI on_any(EXCEPTION_POINTERS *about)
{
    DWORD code = about->ExceptionRecord->ExceptionCode;
    if (code == EXCEPTION_STACK_OVERFLOW) TerminateProcess(GetCurrentProcess(), code);
    return EXCEPTION_CONTINUE_SEARCH;
}

/* This C library's SIGABRT is 22; the others have POSIX' numbers. */
static int posix_number(int number) { return number == SIGABRT ? 6 : number; }

/* abort() and raise() of what nobody handles: the C library would end the process with 3, whatever it was. */
static void on_signal(int number)
{
    TerminateProcess(GetCurrentProcess(), SPORK__SIGNAL_EXIT | (UINT)posix_number(number));
}

void spork__crash_install(void)
{
    static const int numbers[] = {SIGABRT, SIGTERM, SIGINT, SIGFPE, SIGILL, SIGSEGV};
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    SetUnhandledExceptionFilter(on_unhandled);
    AddVectoredExceptionHandler(1, on_any);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) signal(numbers[i], on_signal);
    SetConsoleCtrlHandler(NULL, FALSE); /* a worker ignores Ctrl-C, and its children would have that from it */
}

static void CALLBACK on_interrupt(void *unused, BOOLEAN timed_out)
{
    (void)unused, (void)timed_out;
    void (*handler)(int) = signal(SIGINT, on_signal);
    signal(SIGINT, handler); /* it stays, as on POSIX: raise() would take it away */
    if (handler == SIG_IGN) return;
    (handler == SIG_DFL || handler == SIG_ERR ? on_signal : handler)(SIGINT);
}

void spork__interrupt_watch(HANDLE event)
{
    HANDLE wait;
    RegisterWaitForSingleObject(&wait, event, on_interrupt, NULL, INFINITE, WT_EXECUTEDEFAULT);
}
