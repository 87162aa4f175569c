/* What the Win32 files share among themselves. */
#ifndef SPORK_WIN32_OS_H
#define SPORK_WIN32_OS_H

#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00 /* Windows 10: job lists */
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include "error.h"
#include "fault.h"
#include "platform.h"

/* Every system call that can fail goes through this door, so that the n-th can be made to fail. */
#define SPORK__SYS(call)                                                                                               \
    (spork__fault_call(#call) ? (SetLastError((DWORD)spork__fault_code()), FALSE) : (call))
/* The same for those that return a handle or a pointer. */
#define SPORK__SYS_HANDLE(call)                                                                                        \
    (spork__fault_call(#call) ? (SetLastError((DWORD)spork__fault_code()), NULL) : (call))

static inline HANDLE spork__handle(spork_native native) { return (HANDLE)native; }
static inline spork_native spork__native(HANDLE handle)
{
    return handle == NULL || handle == INVALID_HANDLE_VALUE ? SPORK__NO_HANDLE : (spork_native)handle;
}
/* Fails with GetLastError(). */
#define SPORK__FAIL(...) spork__fail_os((int64_t)GetLastError(), __VA_ARGS__)

/* ---- what is not in every version, or in no library to link (self.c) ---- */
/* NULL: the module is not loaded, or has none of that name. */
FARPROC spork__function_of(const wchar_t *module, const char *name);

/* ---- text (self.c): UTF-8 outside, UTF-16 to the system. false: does not fit or is no text ---- */
bool spork__wide(const char *text, wchar_t *wide, size_t room);
bool spork__narrow(const wchar_t *wide, char *text, size_t room);

/* ---- pipes (memory.c) ---- */
/* An anonymous pipe whose read end is overlapped, which CreatePipe's is not. */
spork_status spork__pipe_overlapped(HANDLE *read_end, HANDLE *write_end);

/* ---- identity.c ---- */
/* The living process that has that number, and began then; its number is nobody else's as long as the handle is open. NULL: it has ended, or
 * cannot be opened so. */
HANDLE spork__process_open(int pid, uint64_t start, DWORD rights);

/* ---- owner.c ---- */
/* What makes an object this user's, and nobody else's to open. It refers to itself: not to be copied. */
typedef struct spork__ours {
    SECURITY_ATTRIBUTES attributes;
    SECURITY_DESCRIPTOR descriptor;
    union {
        TOKEN_USER user;
        char room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
    } token;
    union {
        ACL acl;
        char room[sizeof(ACL) + sizeof(ACCESS_ALLOWED_ACE) + SECURITY_MAX_SID_SIZE];
    } list;
} spork__ours;
bool spork__ours_make(spork__ours *o); /* GetLastError() */
/* Whether this user owns it; the handle needs READ_CONTROL. */
bool spork__is_ours(HANDLE object);

/* ---- jobs (lifeline.c) ---- */
/* The job that this process' children are born into: they end with it. Made at first use, under SPORK__LOCK_START. */
spork_status spork__children_job(HANDLE *job);
/* A job of a child's own that enforces its limits; NULL if there are none. */
spork_status spork__job_with_limits(const spork__limits *limits, HANDLE *job);

/* ---- crash.c ---- */
/* Exit codes of a death by signal are this and its number. */
#define SPORK__SIGNAL_EXIT 0xE05B0000u
/* In a child: every crash ends the process at once, without a window, with a code that tells what it was. */
void spork__crash_install(void);
/* In a child: raises SIGINT whenever that event is set. */
void spork__interrupt_watch(HANDLE event);

#endif
