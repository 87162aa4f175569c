/* A SOCKET cannot be waited on itself. WSAEventSelect would set it to non-blocking, and take the
 * place of the program's own. So the driver below is asked, which select and WSAPoll are made of: one
 * request for each event, which completes when that has come, and signals an event of its own. */
#include "os.h"

#include <winsock2.h>

#include <mswsock.h>
#include <string.h>
#include <winternl.h>

#include "alloc.h"

/* ---- the driver's interface, which every event library on Windows uses ---- */

enum {
    ON_RECEIVE = 0x01,
    ON_SEND = 0x04,
    ON_DISCONNECT = 0x08,
    ON_ABORT = 0x10,
    ON_CLOSE = 0x20,
    ON_ACCEPT = 0x80,
    ON_CONNECT_FAIL = 0x100,
    READABLE = ON_RECEIVE | ON_DISCONNECT | ON_ABORT | ON_CLOSE | ON_ACCEPT | ON_CONNECT_FAIL,
    WRITABLE = ON_SEND | ON_ABORT | ON_CLOSE | ON_CONNECT_FAIL,
    POLL = 0x00012024 /* IOCTL_AFD_POLL */
};

typedef struct poll_request {
    LARGE_INTEGER timeout;
    ULONG count, exclusive;
    HANDLE socket;
    ULONG events;
    NTSTATUS status;
} poll_request;

/* The socket that the driver knows, below what may have been layered over it; NULL: it is none. Who
 * has a socket has the library loaded. */
static HANDLE base_of(spork_native socket)
{
    union {
        FARPROC any;
        int(WSAAPI *typed)(SOCKET, DWORD, void *, DWORD, void *, DWORD, DWORD *, void *, void *);
    } ask = {spork__function_of(L"ws2_32.dll", "WSAIoctl")};
    SOCKET base = INVALID_SOCKET;
    DWORD size = 0;
    bool known = ask.any != NULL && ask.typed((SOCKET)socket, SIO_BASE_HANDLE, NULL, 0, &base,
                                              sizeof base, &size, NULL, NULL) == 0;
    return known && base != INVALID_SOCKET ? (HANDLE)base : NULL;
}

static HANDLE open_driver(void)
{
    union {
        FARPROC any;
        NTSTATUS(NTAPI *typed)
        (HANDLE *, ACCESS_MASK, OBJECT_ATTRIBUTES *, IO_STATUS_BLOCK *, LARGE_INTEGER *, ULONG,
         ULONG, ULONG, ULONG, void *, ULONG);
    } open = {spork__function_of(L"ntdll.dll", "NtCreateFile")};
    static wchar_t path[] = L"\\Device\\Afd\\Spork";
    UNICODE_STRING name = {sizeof path - sizeof *path, sizeof path, path};
    OBJECT_ATTRIBUTES what = {.Length = sizeof what, .ObjectName = &name};
    IO_STATUS_BLOCK io;
    HANDLE driver = NULL;
    if (open.any == NULL ||
        open.typed(&driver, SYNCHRONIZE, &what, &io, NULL, 0, FILE_SHARE_READ | FILE_SHARE_WRITE,
                   FILE_OPEN, 0, NULL, 0) < 0)
        return NULL;
    return driver;
}

/* One for all requests of this process, about any socket; NULL: there is none. */
static HANDLE the_driver(void)
{
    static void *volatile kept;
    if (kept != NULL) return kept;
    HANDLE made = open_driver();
    if (made == NULL || InterlockedCompareExchangePointer(&kept, made, NULL) == NULL) return made;
    CloseHandle(made); /* another thread was quicker */
    return kept;
}

/* ---- one request ---- */

typedef struct request {
    OVERLAPPED overlapped;
    poll_request about;
    bool begun; /* the driver writes to it until it has ended */
} request;

/* The event tells when it is done, which it may be at once. False: it cannot be asked. */
static bool begin(request *r, HANDLE socket, ULONG events)
{
    HANDLE event = r->overlapped.hEvent;
    if (event == NULL) event = SPORK__SYS_HANDLE(CreateEventW(NULL, TRUE, FALSE, NULL));
    r->about = (poll_request){.count = 1, .socket = socket, .events = events};
    r->about.timeout.QuadPart = INT64_MAX;
    memset(&r->overlapped, 0, sizeof r->overlapped);
    r->overlapped.hEvent = event;
    r->begun = event != NULL && the_driver() != NULL &&
               (DeviceIoControl(the_driver(), POLL, &r->about, sizeof r->about, &r->about,
                                sizeof r->about, NULL, &r->overlapped) ||
                GetLastError() == ERROR_IO_PENDING);
    return r->begun;
}

static bool is_done(const request *r)
{
    return WaitForSingleObject(r->overlapped.hEvent, 0) == WAIT_OBJECT_0;
}

static void end(request *r)
{
    DWORD size;
    if (r->begun) {
        CancelIoEx(the_driver(), &r->overlapped);
        GetOverlappedResult(the_driver(), &r->overlapped, &size, TRUE);
    }
    if (r->overlapped.hEvent != NULL) CloseHandle(r->overlapped.hEvent);
}

/* ---- the door ---- */

spork_status spork__os_socket_check(spork_native socket)
{
    union {
        FARPROC any;
        int(WSAAPI *typed)(SOCKET, int, int, char *, int *);
    } ask = {spork__function_of(L"ws2_32.dll", "getsockopt")};
    int type, size = sizeof type;
    if (ask.any != NULL && base_of(socket) != NULL &&
        ask.typed((SOCKET)socket, SOL_SOCKET, SO_TYPE, (char *)&type, &size) == 0)
        return SPORK_OK;
    if (ask.any == NULL || GetLastError() == WSANOTINITIALISED)
        return spork__fail(SPORK_INVALID, "socket %lld: this process has not called WSAStartup",
                           (long long)socket);
    return spork__fail(SPORK_INVALID, "%lld is no socket", (long long)socket);
}

static ULONG wanted(int events)
{
    return (events & SPORK_READ ? READABLE : 0u) | (events & SPORK_WRITE ? WRITABLE : 0u);
}

/* One that was closed meanwhile is ready: whoever uses it is told. */
bool spork__os_socket_is_ready(spork_native socket, int events)
{
    request r;
    HANDLE base = base_of(socket);
    if (base == NULL) return true;
    memset(&r, 0, sizeof r);
    bool ready = begin(&r, base, wanted(events)) && is_done(&r);
    end(&r);
    return ready;
}

typedef struct watch {
    request of[2]; /* reading, writing */
} watch;

spork_native spork__os_socket_watch(spork_native socket, bool writing, void **at)
{
    if (*at == NULL) *at = spork__alloc(sizeof(watch), "a wait for a socket");
    HANDLE base = base_of(socket);
    if (*at == NULL || base == NULL) return SPORK__NO_HANDLE;
    request *r = &((watch *)*at)->of[writing];
    bool asked = r->begun && !is_done(r);
    if (!asked && !begin(r, base, wanted(writing ? SPORK_WRITE : SPORK_READ)))
        return SPORK__NO_HANDLE;
    return spork__native(r->overlapped.hEvent);
}

void spork__os_socket_leave(void **at)
{
    watch *w = *at;
    for (int i = 0; w != NULL && i < 2; i++) end(&w->of[i]);
    spork__free(w);
    *at = NULL;
}
