/* Messages over pipes, as CreatePipe makes them inside the system (a named one, under a name that nobody can guess, with one
 * instance, local, for this user), but overlapped, so that a wait can end, and in message mode, which is the framing: one message is one
 * WriteFile. Once both ends are there nobody else can open it.
 *
 * A write that is killed or cancelled while the receiver had begun to read it leaves a message without its end; the receiver reads up to
 * 64 KiB at once, so a shorter one is there as a whole or not at all. */
#include "os.h"

#include <stdio.h>
#include <string.h>
#include <winternl.h>

#include "alloc.h"
#include "deadline.h"
#include "message.h"

enum { BUFFER = 65536, MOST = 1 << 30 };

/* ---- ends ---- */

static spork_status open_both(bool duplex, HANDLE *first, HANDLE *second)
{
    wchar_t name[80];
    spork__ours o;
    DWORD read_by_message = PIPE_READMODE_MESSAGE;
    if (!spork__ours_make(&o)) return SPORK__FAIL("this user is unknown");
    swprintf(name, sizeof name / sizeof *name, L"\\\\.\\pipe\\spork-%lu-%016llx", (unsigned long)GetCurrentProcessId(),
             (unsigned long long)spork__os_nonce());
    *first = spork__fault_call("CreateNamedPipeW")
                 ? INVALID_HANDLE_VALUE
                 : CreateNamedPipeW(name,
                                    (duplex ? PIPE_ACCESS_DUPLEX : PIPE_ACCESS_INBOUND) | FILE_FLAG_OVERLAPPED |
                                        FILE_FLAG_FIRST_PIPE_INSTANCE,
                                    PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_REJECT_REMOTE_CLIENTS, 1, BUFFER,
                                    BUFFER, 0, &o.attributes);
    if (*first == INVALID_HANDLE_VALUE) return SPORK__FAIL("no pipe");
    *second = CreateFileW(name, duplex ? GENERIC_READ | GENERIC_WRITE : GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                          FILE_FLAG_OVERLAPPED, NULL);
    if (*second != INVALID_HANDLE_VALUE && (!duplex || SetNamedPipeHandleState(*second, &read_by_message, NULL, NULL)))
        return SPORK_OK;
    spork_status status = SPORK__FAIL("no pipe");
    CloseHandle(*first);
    if (*second != INVALID_HANDLE_VALUE) CloseHandle(*second);
    return status;
}

spork_status spork__os_channel_new(bool duplex, spork__channel ends[2])
{
    HANDLE first = NULL, second = NULL;
    for (int i = 0; i < 2; i++) ends[i] = SPORK__NO_CHANNEL;
    spork_status status = open_both(duplex, &first, &second);
    if (status != SPORK_OK) return status;
    ends[0].in = spork__native(first);
    ends[1].out = spork__native(second);
    if (duplex) ends[0].out = ends[0].in, ends[1].in = ends[1].out;
    return SPORK_OK;
}

/* ---- what was opened elsewhere ---- */

/* A handle whose calls wait for their end: a time-out could not end one. Where the system does not
 * tell, it is believed to be none. */
static bool is_synchronous(HANDLE handle)
{
    union {
        FARPROC any;
        NTSTATUS(NTAPI *typed)(HANDLE, IO_STATUS_BLOCK *, void *, ULONG, ULONG);
    } ask = {spork__function_of(L"ntdll.dll", "NtQueryInformationFile")};
    enum { MODE = 16, ALERTS = 0x10, NO_ALERTS = 0x20 }; /* FileModeInformation */
    IO_STATUS_BLOCK io;
    ULONG mode = 0;
    return ask.any != NULL && ask.typed(handle, &io, &mode, sizeof mode, MODE) >= 0 &&
           (mode & (ALERTS | NO_ALERTS)) != 0;
}

/* What the handle may be used for: FILE_READ_DATA, FILE_WRITE_DATA. */
static ACCESS_MASK access_of(HANDLE handle)
{
    union {
        FARPROC any;
        NTSTATUS(NTAPI *typed)(HANDLE, ULONG, void *, ULONG, ULONG *);
    } ask = {spork__function_of(L"ntdll.dll", "NtQueryObject")};
    PUBLIC_OBJECT_BASIC_INFORMATION about;
    memset(&about, 0, sizeof about);
    bool known = ask.any != NULL && ask.typed(handle, 0, &about, sizeof about, NULL) >= 0;
    return known ? about.GrantedAccess : FILE_READ_DATA | FILE_WRITE_DATA;
}

static bool is_standard(HANDLE handle)
{
    return handle == GetStdHandle(STD_INPUT_HANDLE) || handle == GetStdHandle(STD_OUTPUT_HANDLE) ||
           handle == GetStdHandle(STD_ERROR_HANDLE);
}

static spork_status check_foreign(HANDLE handle, int directions)
{
    DWORD flags = 0, information;
    if (spork__native(handle) == SPORK__NO_HANDLE || !GetHandleInformation(handle, &information))
        return spork__fail(SPORK_INVALID, "%lld is no open handle", (long long)(intptr_t)handle);
    /* The other questions wait for a read that is under way on such a handle. */
    if (is_synchronous(handle))
        return spork__fail(SPORK_INVALID, "the handle was opened without FILE_FLAG_OVERLAPPED");
    if (is_standard(handle))
        return spork__fail(SPORK_UNSUPPORTED, "a standard stream, which the C library uses, too");
    if (GetFileType(handle) != FILE_TYPE_PIPE ||
        !GetNamedPipeInfo(handle, &flags, NULL, NULL, NULL))
        return spork__fail(SPORK_INVALID, "the handle is of no pipe");
    if ((flags & PIPE_TYPE_MESSAGE) == 0)
        return spork__fail(SPORK_INVALID,
                           "the pipe is in byte mode: messages need PIPE_TYPE_MESSAGE");
    ACCESS_MASK access = access_of(handle);
    if ((directions & SPORK_READ && !(access & FILE_READ_DATA)) ||
        (directions & SPORK_WRITE && !(access & FILE_WRITE_DATA)))
        return spork__fail(SPORK_INVALID, "the handle was opened to %s only",
                           access & FILE_READ_DATA ? "read" : "write");
    return SPORK_OK;
}

/* To set it takes a right that an end which only reads may lack. */
static spork_status read_by_message(HANDLE handle)
{
    DWORD mode = 0;
    if (GetNamedPipeHandleStateW(handle, &mode, NULL, NULL, NULL, NULL, 0) &&
        (mode & (PIPE_READMODE_MESSAGE | PIPE_NOWAIT)) == PIPE_READMODE_MESSAGE)
        return SPORK_OK;
    mode = PIPE_READMODE_MESSAGE;
    if (SetNamedPipeHandleState(handle, &mode, NULL, NULL)) return SPORK_OK;
    return SPORK__FAIL("the pipe cannot be read by messages");
}

spork_status spork__os_channel_of(spork_native native, int directions, spork__channel *channel,
                                  bool *objects)
{
    HANDLE handle = spork__handle(native);
    spork_status status = check_foreign(handle, directions);
    if (status == SPORK_OK && directions & SPORK_READ) status = read_by_message(handle);
    if (status != SPORK_OK) return status;
    SetHandleInformation(handle, HANDLE_FLAG_INHERIT, 0);
    *channel = SPORK__NO_CHANNEL;
    if (directions & SPORK_READ) channel->in = native;
    if (directions & SPORK_WRITE) channel->out = native;
    *objects = channel->in == channel->out;
    return SPORK_OK;
}

/* ---- modes and ends ---- */

spork_status spork__os_channel_adopt(spork__channel *channel)
{
    (void)channel;
    return SPORK_OK;
}

void spork__os_channel_plain(spork__channel *channel) { (void)channel; }

/* While one thread receives, the handle may go with what another one could not send. */
static void hold(spork__channel *channel) { AcquireSRWLockExclusive((SRWLOCK *)&channel->guard); }
static void let_go(spork__channel *channel) { ReleaseSRWLockExclusive((SRWLOCK *)&channel->guard); }
_Static_assert(sizeof(SRWLOCK) == sizeof(void *), "zero is SRWLOCK_INIT");

static void cancel(spork__channel *channel, bool sending, OVERLAPPED *o)
{
    hold(channel);
    spork_native end = sending ? channel->out : channel->in;
    if (end != SPORK__NO_HANDLE) CancelIoEx(spork__handle(end), o);
    let_go(channel);
}

/* Calls that are under way end; later ones are told that there is no handle. */
void spork__os_channel_hang_up(spork__channel *channel, bool alone)
{
    (void)alone;
    hold(channel);
    spork_native in = channel->in, out = channel->out;
    channel->in = channel->out = SPORK__NO_HANDLE;
    let_go(channel);
    if (in != SPORK__NO_HANDLE) CancelIoEx(spork__handle(in), NULL);
    if (out != SPORK__NO_HANDLE) CancelIoEx(spork__handle(out), NULL);
    spork__os_handle_close(in);
    if (out != in) spork__os_handle_close(out);
}

void spork__os_channel_close(spork__channel *channel)
{
    DWORD got;
    if (channel->pending != NULL) {
        cancel(channel, false, channel->pending);
        GetOverlappedResult(spork__handle(channel->in), channel->pending, &got, TRUE);
        spork__free(channel->pending);
    }
    spork__os_handle_close(channel->in);
    if (channel->out != channel->in) spork__os_handle_close(channel->out);
    spork__os_handle_close(channel->in_event);
    spork__os_handle_close(channel->out_event);
    *channel = SPORK__NO_CHANNEL;
}

/* ---- transfers ---- */

static bool make_event(spork_native *event)
{
    if (*event == SPORK__NO_HANDLE) *event = spork__native(SPORK__SYS_HANDLE(CreateEventW(NULL, TRUE, FALSE, NULL)));
    return *event != SPORK__NO_HANDLE;
}

/* Waits for one that has begun. The system's code; ERROR_OPERATION_ABORTED: the time was over; ERROR_RETRY: somebody else has ended it:
 * the system with the thread that had begun it, or another thread with the whole end. */
static DWORD finish(spork__channel *channel, bool sending, OVERLAPPED *o, BOOL done, DWORD *moved, int timeout_ms)
{
    DWORD code = done ? ERROR_SUCCESS : GetLastError();
    bool in_time = true;
    if (code == ERROR_IO_PENDING) {
        in_time = WaitForSingleObject(o->hEvent, timeout_ms < 0 ? INFINITE : (DWORD)timeout_ms) == WAIT_OBJECT_0;
        if (!in_time) cancel(channel, sending, o);
    } else if (code != ERROR_SUCCESS && code != ERROR_MORE_DATA)
        return code;
    /* It may have succeeded still. The handle is for those without an event only. */
    code = GetOverlappedResult(spork__handle(sending ? channel->out : channel->in), o, moved, TRUE) ? ERROR_SUCCESS
                                                                                                    : GetLastError();
    return code == ERROR_OPERATION_ABORTED && in_time ? ERROR_RETRY : code;
}

static bool is_end(DWORD code)
{
    return code == ERROR_BROKEN_PIPE || code == ERROR_NO_DATA || code == ERROR_PIPE_NOT_CONNECTED;
}

/* ---- handles in a message ---- */

/* Before the values: whose handles these are, and which. The receiver takes them out of that process. */
typedef struct envelope {
    uint64_t magic, start; /* the sender's start time: its id may be another's by now */
    uint32_t pid, count;
    uint64_t room;
    uint64_t handles[];
} envelope;
static const uint64_t envelope_magic = UINT64_C(0x9C1E0B5A6B8F3D27);

static size_t envelope_size(size_t count) { return (sizeof(envelope) + 8 * count + 15) / 16 * 16; }

static void close_copies(envelope *e)
{
    for (uint32_t i = 0; i < e->count; i++) CloseHandle((HANDLE)(uintptr_t)e->handles[i]);
}

/* The copies are for the receiver, who closes them by taking them; they outlive the sender's own. */
static spork_status fill_envelope(envelope *e, const spork_native *handles, size_t count)
{
    HANDLE self = GetCurrentProcess(), copy;
    e->magic = envelope_magic;
    e->pid = GetCurrentProcessId();
    e->start = spork__os_start_time((int)e->pid);
    for (size_t i = 0; i < count; i++) {
        if (!SPORK__SYS(
                DuplicateHandle(self, spork__handle(handles[i]), self, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS))) {
            spork_status status = SPORK__FAIL("a handle cannot be duplicated");
            close_copies(e);
            return status;
        }
        e->handles[e->count++] = (uintptr_t)copy;
    }
    return SPORK_OK;
}

spork_status spork__os_channel_unwrap(spork__message *m, size_t *begin)
{
    envelope e;
    *begin = 0;
    if (m->have < sizeof e) return SPORK_OK;
    memcpy(&e, m->data, sizeof e);
    if (e.magic != envelope_magic) return SPORK_OK;
    if (e.count > SPORK__MESSAGE_HANDLES || m->have < envelope_size(e.count))
        return spork__fail(SPORK_BAD_MESSAGE, "a message with damaged handles");
    *begin = envelope_size(e.count);
    if (m->handle_count > 0) return SPORK_OK; /* taken already, when it could not be decoded */
    HANDLE sender = spork__process_open((int)e.pid, e.start, PROCESS_DUP_HANDLE);
    bool ok = sender != NULL;
    for (uint32_t i = 0; i < e.count && ok; i++) {
        uint64_t there;
        HANDLE copy;
        memcpy(&there, m->data + offsetof(envelope, handles) + i * sizeof there, sizeof there);
        ok = DuplicateHandle(sender, (HANDLE)(uintptr_t)there, GetCurrentProcess(), &copy, 0, FALSE,
                             DUPLICATE_SAME_ACCESS | DUPLICATE_CLOSE_SOURCE);
        if (ok) m->handles[m->handle_count++] = spork__native(copy);
    }
    if (sender != NULL) CloseHandle(sender);
    if (ok) return SPORK_OK;
    spork__message_drop(m);
    return spork__fail(SPORK_BROKEN, "the objects of a message are lost: their sender, process %lu, has ended",
                       (unsigned long)e.pid);
}

/* ---- sending ---- */

/* The receiver gets the end instead of waiting for the rest. A thread of ours that receives from a duplex end is woken, and finds none. */
static void break_off(spork__channel *channel)
{
    spork__os_lock(SPORK__LOCK_START);
    hold(channel);
    CancelIoEx(spork__handle(channel->out), NULL);
    spork__os_handle_close(channel->out);
    if (channel->in == channel->out) channel->in = SPORK__NO_HANDLE;
    channel->out = SPORK__NO_HANDLE;
    let_go(channel);
    spork__os_unlock(SPORK__LOCK_START);
}

static spork_status send_whole(spork__channel *channel, const void *data, size_t size, int timeout_ms)
{
    OVERLAPPED o;
    DWORD sent = 0;
    if (size > MOST) return spork__fail(SPORK_TOO_LARGE, "%zu bytes in a message: 1 GiB is the most", size);
    if (!make_event(&channel->out_event)) return SPORK__FAIL("no event");
    memset(&o, 0, sizeof o);
    o.hEvent = spork__handle(channel->out_event);
    hold(channel);
    BOOL done = SPORK__SYS(WriteFile(spork__handle(channel->out), data, (DWORD)size, NULL, &o));
    DWORD begun = GetLastError();
    let_go(channel);
    SetLastError(begun); /* finish looks at it */
    DWORD code = finish(channel, true, &o, done, &sent, timeout_ms);
    if (code == ERROR_SUCCESS) return SPORK_OK;
    if (is_end(code)) return spork__fail(SPORK_CLOSED, "nobody can receive any more");
    if (size <= BUFFER)
        return code == ERROR_OPERATION_ABORTED
                   ? spork__fail(SPORK_TIMEOUT, "nobody received anything for %d ms", timeout_ms)
                   : spork__fail_os(code, "nothing was sent");
    /* A read that waited has its beginning perhaps, also where the system had no memory for the rest. */
    break_off(channel);
    if (code == ERROR_OPERATION_ABORTED)
        return spork__fail(SPORK_BROKEN, "a message of %zu bytes was not sent in %d ms, but perhaps in part", size,
                           timeout_ms);
    return spork__fail(SPORK_BROKEN, "a message of %zu bytes could not be sent, but perhaps in part (error %lu)", size,
                       (unsigned long)code);
}

spork_status spork__os_channel_send(spork__channel *channel, const void *data, size_t size, const spork_native *handles,
                                    size_t handle_count, int timeout_ms)
{
    if (handle_count == 0) return send_whole(channel, data, size, timeout_ms);
    size_t before = envelope_size(handle_count);
    envelope *e = spork__alloc(before + size, "a message");
    if (e == NULL) return SPORK_NO_MEMORY;
    spork_status status = fill_envelope(e, handles, handle_count);
    if (status == SPORK_OK) {
        memcpy((char *)e + before, data, size);
        status = send_whole(channel, e, before + size, timeout_ms);
        if (status != SPORK_OK) close_copies(e);
    }
    spork__free(e);
    return status;
}

/* ---- receiving ---- */

/* Begins a read into the room that is there. */
static BOOL begin_read(spork__channel *channel, spork__message *m, OVERLAPPED *o)
{
    const DWORD room = (DWORD)(m->room - m->have < MOST ? m->room - m->have : MOST);
    memset(o, 0, sizeof *o);
    o->hEvent = spork__handle(channel->in_event);
    hold(channel);
    SetLastError(ERROR_BROKEN_PIPE);
    BOOL done = channel->in != SPORK__NO_HANDLE &&
                SPORK__SYS(ReadFile(spork__handle(channel->in), m->data + m->have, room, NULL, o));
    let_go(channel); /* which leaves the error as it is */
    return done;
}

/* How much of a message is still there. */
static DWORD left_of_it(spork__channel *channel)
{
    DWORD left = 0;
    hold(channel);
    bool known = channel->in != SPORK__NO_HANDLE &&
                 PeekNamedPipe(spork__handle(channel->in), NULL, 0, NULL, NULL, &left) && left > 0;
    let_go(channel);
    return known ? left : BUFFER;
}

/* A read, or the rest of one that was begun earlier. ERROR_MORE_DATA: the message goes on. */
static DWORD read_some(spork__channel *channel, spork__message *m, int timeout_ms)
{
    OVERLAPPED own, *begun = channel->pending, *o = begun != NULL ? begun : &own;
    DWORD got = 0, code;
    if (begun == NULL) {
        BOOL done = begin_read(channel, m, o);
        code = finish(channel, false, o, done, &got, timeout_ms);
    } else {
        SetLastError(ERROR_IO_PENDING);
        code = finish(channel, false, o, FALSE, &got, timeout_ms);
        channel->pending = NULL;
        spork__free(begun);
    }
    m->have += got;
    return code;
}

/* A message, or what came of it in that time. The system's code. */
static DWORD read_all(spork__channel *channel, spork__message *m, spork__deadline *d)
{
    DWORD code;
    while ((code = read_some(channel, m, spork__deadline_left(d))) == ERROR_MORE_DATA || code == ERROR_RETRY) {
        /* Its rest is there, as it is one write; unless that was broken off. */
        if (code == ERROR_MORE_DATA && spork__message_reserve(m, m->have + left_of_it(channel)) != SPORK_OK)
            return ERROR_NOT_ENOUGH_MEMORY;
    }
    if (code == ERROR_SUCCESS) {
        m->size = m->have;
        m->known = m->whole = true;
    } else if (is_end(code)) {
        spork__message_drop(m);
        m->ended = true;
    }
    return code;
}

/* Some room to read into: a read of no bytes would end a message that goes on. A lent buffer that is small would often end in the
 * middle of a message, and then have to be copied. */
static spork_status make_room(spork__channel *channel, spork__message *m)
{
    if (m->data == NULL || (m->lent && m->room < BUFFER)) return spork__message_reserve(m, BUFFER);
    if (channel->pending != NULL || m->have < m->room) return SPORK_OK;
    return spork__message_reserve(m, m->have + left_of_it(channel));
}

spork_status spork__os_channel_receive(spork__channel *channel, spork__message *m, int timeout_ms)
{
    spork__deadline d = {.timeout_ms = timeout_ms};
    if (!make_event(&channel->in_event)) return SPORK__FAIL("no event");
    if (channel->pending != NULL && m->lent) return spork__fail(SPORK_INTERNAL, "a read is under way elsewhere");
    spork_status status = make_room(channel, m);
    if (status != SPORK_OK) return status;
    DWORD code = read_all(channel, m, &d);
    if (code == ERROR_SUCCESS) return SPORK_OK;
    if (code == ERROR_NOT_ENOUGH_MEMORY) return spork__fail(SPORK_NO_MEMORY, "no memory for the rest of a message");
    if (code == ERROR_OPERATION_ABORTED) return spork__fail(SPORK_TIMEOUT, "no message came in %d ms", timeout_ms);
    return is_end(code) ? spork__fail(SPORK_CLOSED, "no more will come")
                        : spork__fail_os(code, "nothing can be received");
}

bool spork__os_channel_ready(spork__channel *channel, spork__message *m, bool sending)
{
    if (sending) return true;
    if (channel->pending != NULL && WaitForSingleObject(spork__handle(channel->in_event), 0) != WAIT_OBJECT_0)
        return false;
    return spork__os_channel_poll(channel, m, 0) == SPORK_OK;
}

/* A read that is under way signals the event when it ends. It has room of its own, and no other read begins before it ended. */
spork_native spork__os_channel_handle(spork__channel *channel, spork__message *m, bool sending)
{
    if (sending || !make_event(&channel->in_event)) return SPORK__NO_HANDLE;
    if (channel->pending != NULL) return channel->in_event;
    OVERLAPPED *o = spork__alloc(sizeof *o, "a read");
    if (o == NULL || spork__message_reserve(m, m->have + BUFFER) != SPORK_OK) {
        spork__free(o);
        return SPORK__NO_HANDLE;
    }
    channel->pending = o;
    if (begin_read(channel, m, o)) return channel->in_event;
    DWORD code = GetLastError();
    if (code == ERROR_IO_PENDING || code == ERROR_MORE_DATA) return channel->in_event;
    channel->pending = NULL; /* the end: a receiver finds that out at once */
    spork__free(o);
    return SPORK__NO_HANDLE;
}

void spork__os_channel_settle(spork__channel *channel, spork__message *m)
{
    spork__deadline none = {.timeout_ms = 0};
    if (channel->pending != NULL) read_all(channel, m, &none);
}

spork_status spork__os_channel_poll(spork__channel *channel, spork__message *m, int timeout_ms)
{
    spork_status status = spork__os_channel_receive(channel, m, timeout_ms);
    return status == SPORK_CLOSED ? SPORK_OK : status;
}
