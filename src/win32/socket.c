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
    READABLE = ON_RECEIVE | ON_DISCONNECT | ON_ABORT | ON_CLOSE | ON_ACCEPT,
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

/* A handle of the driver, for requests about any socket. */
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

/* ---- one request ---- */

typedef struct request {
    OVERLAPPED overlapped;
    poll_request about;
    HANDLE driver; /* NULL: nothing was begun */
} request;

/* False: it cannot be asked. Done at once, or later: the event is signalled. */
static bool begin(request *r, HANDLE socket, ULONG events)
{
    HANDLE event = r->overlapped.hEvent;
    r->about = (poll_request){.count = 1, .socket = socket, .events = events};
    r->about.timeout.QuadPart = INT64_MAX;
    memset(&r->overlapped, 0, sizeof r->overlapped);
    r->overlapped.hEvent = event;
    BOOL done = DeviceIoControl(r->driver, POLL, &r->about, sizeof r->about, &r->about,
                                sizeof r->about, NULL, &r->overlapped);
    return done || GetLastError() == ERROR_IO_PENDING;
}

static bool open_request(request *r)
{
    memset(r, 0, sizeof *r);
    r->overlapped.hEvent = SPORK__SYS_HANDLE(CreateEventW(NULL, TRUE, FALSE, NULL));
    r->driver = r->overlapped.hEvent != NULL ? open_driver() : NULL;
    if (r->driver != NULL) return true;
    if (r->overlapped.hEvent != NULL) CloseHandle(r->overlapped.hEvent);
    return false;
}

/* The driver writes to it until it has ended. */
static void end(request *r)
{
    DWORD size;
    CancelIoEx(r->driver, &r->overlapped);
    GetOverlappedResult(r->driver, &r->overlapped, &size, TRUE);
}

static void close_request(request *r)
{
    CloseHandle(r->driver);
    CloseHandle(r->overlapped.hEvent);
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
    return spork__fail(SPORK_INVALID, "%lld is no socket", (long long)socket);
}

/* It cannot be asked any more when it was closed meanwhile: whoever uses it is told. */
bool spork__os_socket_is_ready(spork_native socket, int events)
{
    union {
        FARPROC any;
        int(WSAAPI *typed)(int, fd_set *, fd_set *, fd_set *, const struct timeval *);
    } ask = {spork__function_of(L"ws2_32.dll", "select")};
    fd_set one = {.fd_count = 1, .fd_array = {(SOCKET)socket}}, readable = {0}, writable = {0};
    fd_set failed = {0}; /* a connect */
    const struct timeval none = {0, 0};
    if (events & SPORK_READ) readable = one;
    if (events & SPORK_WRITE) writable = failed = one;
    return ask.any == NULL || ask.typed(0, &readable, &writable, &failed, &none) != 0;
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
    bool begun = r->driver != NULL;
    if (begun && WaitForSingleObject(r->overlapped.hEvent, 0) != WAIT_OBJECT_0)
        return spork__native(r->overlapped.hEvent); /* still asked */
    if (!begun && !open_request(r)) return SPORK__NO_HANDLE;
    if (begin(r, base, writing ? WRITABLE : READABLE)) return spork__native(r->overlapped.hEvent);
    close_request(r);
    r->driver = NULL;
    return SPORK__NO_HANDLE;
}

void spork__os_socket_leave(void **at)
{
    watch *w = *at;
    for (int i = 0; w != NULL && i < 2; i++)
        if (w->of[i].driver != NULL) {
            end(&w->of[i]);
            close_request(&w->of[i]);
        }
    spork__free(w);
    *at = NULL;
}
