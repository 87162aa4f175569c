/* Messages over pipes and stream sockets, framed as CPython's multiprocessing.connection.Connection does: the length as 4 bytes,
 * big-endian and signed; from 2^31 on -1 and then 8 bytes (Lib/multiprocessing/connection.py, _send_bytes).
 *
 * A pipe's ends do not block (O_NONBLOCK, which each end has for itself), a socket's calls do not (MSG_DONTWAIT): so no call can wait for
 * longer than it is asked to. A message of up to PIPE_BUF bytes enters a pipe whole; of a longer one whoever is killed while
 * sending leaves a part, and when the last sender is gone the reader finds the end in the middle of a message. */
#include "os.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "deadline.h"
#include "message.h"

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* SO_NOSIGPIPE is set */
#endif
#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0
#endif

/* ---- ends ---- */

static void set_nonblocking(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0) fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

static spork_status new_sockets(spork__channel ends[2])
{
    int fds[2];
    if (spork__fd_socket_pair(fds) != 0) return spork__fail_os(errno, "no socket pair");
    for (int i = 0; i < 2; i++) ends[i].in = ends[i].out = fds[i];
    return spork__os_channel_adopt(&ends[0]), spork__os_channel_adopt(&ends[1]);
}

spork_status spork__os_channel_new(bool duplex, spork__channel ends[2])
{
    int fds[2];
    for (int i = 0; i < 2; i++) ends[i] = SPORK__NO_CHANNEL;
    if (duplex) return new_sockets(ends);
    if (spork__fd_pipe(fds) != 0) return spork__fail_os(errno, "no pipe");
    for (int i = 0; i < 2; i++) set_nonblocking(fds[i], true);
    ends[0].in = fds[0];
    ends[1].out = fds[1];
    return spork__os_channel_adopt(&ends[1]);
}

spork_status spork__os_channel_adopt(spork__channel *channel)
{
#ifdef SO_NOSIGPIPE
    if (channel->in == channel->out) setsockopt((int)channel->out, SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int));
#endif
#ifdef F_SETNOSIGPIPE
    if (channel->in != channel->out && channel->out != SPORK__NO_HANDLE) fcntl((int)channel->out, F_SETNOSIGPIPE, 1);
#endif
    (void)channel;
    return SPORK_OK;
}

/* ---- what was opened elsewhere ---- */

static spork_status check_pipe(int fd, int flags, int directions)
{
    int mode = flags & O_ACCMODE;
    if (mode == O_RDWR)
        return spork__fail(SPORK_INVALID,
                           "descriptor %d is a FIFO opened for both directions: it has no end", fd);
    if (directions != (mode == O_RDONLY ? SPORK_READ : SPORK_WRITE))
        return spork__fail(SPORK_INVALID, "descriptor %d is the %s end of a pipe, which only %s",
                           fd, mode == O_RDONLY ? "reading" : "writing",
                           mode == O_RDONLY ? "receives" : "sends");
    return SPORK_OK;
}

static int socket_option(int fd, int option)
{
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

/* macOS: this must be set, and is refused where the other side has gone in both directions. */
static bool raises_no_signal(int fd)
{
#ifdef SO_NOSIGPIPE
    return setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int)) == 0;
#else
    return fd >= 0;
#endif
}

static spork_status check_socket(int fd, int directions, bool *local)
{
    struct sockaddr_storage name = {0}, peer;
    socklen_t size = sizeof name, peer_size = sizeof peer;
    if (socket_option(fd, SO_TYPE) != SOCK_STREAM)
        return spork__fail(SPORK_INVALID, "descriptor %d is a socket, but no stream", fd);
    if (socket_option(fd, SO_ACCEPTCONN) > 0)
        return spork__fail(SPORK_INVALID,
                           "descriptor %d is a socket that listens: take what accept gives", fd);
    if (directions != (SPORK_READ | SPORK_WRITE))
        return spork__fail(SPORK_INVALID,
                           "descriptor %d is a socket, which has both directions", fd);
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_size) != 0 || !raises_no_signal(fd))
        return spork__fail(SPORK_INVALID, "descriptor %d is a socket that is not connected", fd);
    *local = getsockname(fd, (struct sockaddr *)&name, &size) == 0 && name.ss_family == AF_UNIX;
    return SPORK_OK;
}

/* Linux: it names the file, and does not open it. */
static bool is_path_only(int flags)
{
#ifdef O_PATH
    return (flags & O_PATH) != 0;
#else
    return flags < 0;
#endif
}

static spork_status check_foreign(int fd, int directions, bool *objects)
{
    struct stat about;
    int flags = fcntl(fd, F_GETFL);
    *objects = false;
    if (flags < 0 || is_path_only(flags) || fstat(fd, &about) != 0)
        return spork__fail(SPORK_INVALID, "%d is no open descriptor", fd);
    if (S_ISFIFO(about.st_mode)) return check_pipe(fd, flags, directions);
    if (S_ISSOCK(about.st_mode)) return check_socket(fd, directions, objects);
    return spork__fail(SPORK_INVALID,
                       "descriptor %d is %s: messages need a pipe or a connected stream socket", fd,
                       S_ISREG(about.st_mode)   ? "a file"
                       : S_ISDIR(about.st_mode) ? "a directory"
                       : S_ISCHR(about.st_mode) ? "a device, as a terminal is one"
                                                : "something else");
}

/* Whether two descriptors are of one socket, or of the same end of one pipe: a program that inetd
 * begins has one socket as all three streams, and 2>&1 is one pipe as two. */
static bool are_same(int a, int b)
{
    struct stat of_a, of_b;
    return fstat(a, &of_a) == 0 && fstat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
           of_a.st_ino == of_b.st_ino &&
           (fcntl(a, F_GETFL) & O_ACCMODE) == (fcntl(b, F_GETFL) & O_ACCMODE);
}

/* Nothing is opened later by the number of a standard stream, and what the program prints there goes
 * nowhere. */
static spork_status behind_standard(int fd, int *own)
{
    spork_native copy;
    int null = spork__fd_open("/dev/null", O_RDWR);
    if (null < 0)
        return spork__fail(SPORK_OS_ERROR, "descriptor %d cannot be left to /dev/null (%s)", fd,
                           strerror(errno));
    spork_status status = spork__os_handle_copy(fd, &copy);
    for (int i = 0; i <= 2 && status == SPORK_OK; i++)
        if (are_same(i, (int)copy))
            while (dup2(null, i) < 0 && (errno == EINTR || errno == EBUSY)) {}
    spork__fd_close(null);
    if (status == SPORK_OK) *own = (int)copy;
    return status;
}

spork_status spork__os_channel_of(spork_native native, int directions, spork__channel *channel,
                                  bool *objects)
{
    if (native < 0 || native > INT32_MAX)
        return spork__fail(SPORK_INVALID, "%lld is no open descriptor", (long long)native);
    int fd = (int)native;
    spork_status status = check_foreign(fd, directions, objects);
    if (status == SPORK_OK && fd <= 2) status = behind_standard(fd, &fd);
    if (status != SPORK_OK) return status;
    spork__fd_cloexec(fd);
    *channel = SPORK__NO_CHANNEL;
    if (directions & SPORK_READ) channel->in = fd;
    if (directions & SPORK_WRITE) channel->out = fd;
    if (channel->in != channel->out) set_nonblocking(fd, true);
    return spork__os_channel_adopt(channel);
}

/* ---- modes and ends ---- */

void spork__os_channel_plain(spork__channel *channel)
{
    set_nonblocking((int)(channel->in != SPORK__NO_HANDLE ? channel->in : channel->out), false);
}

/* Its number stays taken: another thread that is in a call, or comes, must find neither nothing
 * there nor a file of somebody else's. What comes finds an end whose other side has gone. Who is in
 * poll holds the old one: a socket is shut down for that, which ends it for all who have it. */
void spork__os_channel_hang_up(spork__channel *channel, bool alone)
{
    int fds[2], place;
    bool duplex = channel->in == channel->out, sends = channel->in == SPORK__NO_HANDLE;
    if (duplex && channel->in == SPORK__NO_HANDLE) return;
    place = (int)(sends ? channel->out : channel->in);
    if (duplex && alone) shutdown(place, SHUT_RDWR);
    if ((duplex ? spork__fd_socket_pair(fds) : spork__fd_pipe(fds)) != 0) {
        spork__os_channel_close(channel); /* nothing to put there: better than to wait for ever */
        return;
    }
    spork__fd_close(fds[sends ? 0 : 1]);
    set_nonblocking(fds[sends ? 1 : 0], true);
    while (dup2(fds[sends ? 1 : 0], place) < 0 && errno == EINTR) {}
    spork__fd_cloexec(place);
    spork__fd_close(fds[sends ? 1 : 0]);
    spork__os_channel_adopt(channel);
}

void spork__os_channel_close(spork__channel *channel)
{
    spork__fd_close((int)channel->in);
    if (channel->out != channel->in) spork__fd_close((int)channel->out);
    channel->in = channel->out = SPORK__NO_HANDLE;
}

/* ---- waiting ---- */

/* False: the time is over. */
static bool wait_for(int fd, short events, spork__deadline *d)
{
    struct pollfd p = {.fd = fd, .events = events};
    return spork__fd_poll(&p, 1, d);
}

static bool would_block(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS; }

/* What a network says of the other side when it cannot be reached any more. */
static bool is_lost(int code)
{
    return code == ECONNRESET || code == ECONNABORTED || code == ETIMEDOUT ||
           code == EHOSTUNREACH || code == ENETUNREACH || code == ENETDOWN || code == ENETRESET;
}

/* macOS refuses 2 GiB in one call, and Linux does less than that. */
enum { AT_ONCE = 1 << 30 };
static size_t at_most(size_t size) { return size < AT_ONCE ? size : AT_ONCE; }

/* ---- sending ---- */

/* Each without a SIGPIPE: the descriptor was told to raise none, or the call is, or it is held back for the call and taken away after it. */
#ifdef F_SETNOSIGPIPE
static ssize_t write_quietly(int fd, const struct iovec *pieces, int count)
{
    return SPORK__SYS(spork__sys_writev(fd, pieces, count));
}
#else
#if SPORK_HAVE_PWRITEV2
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100 /* Linux 6.18; earlier ones say that they do not know it */
#endif

/* False: this system cannot, and nothing was written. */
static bool write_without_signal(int fd, const struct iovec *pieces, int count, ssize_t *written)
{
    static atomic_bool cannot;
    if (atomic_load_explicit(&cannot, memory_order_relaxed)) return false;
    *written = SPORK__SYS(spork__sys_pwritev2(fd, pieces, count, -1, RWF_NOSIGNAL));
    bool known = *written >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL && errno != EPERM);
    if (!known) atomic_store_explicit(&cannot, true, memory_order_relaxed);
    return known;
}
#else
static bool write_without_signal(int fd, const struct iovec *pieces, int count, ssize_t *written)
{
    (void)fd, (void)pieces, (void)count, (void)written;
    return false;
}
#endif

static ssize_t write_quietly(int fd, const struct iovec *pieces, int count)
{
    ssize_t n;
    sigset_t sigpipe, before, pending;
    if (write_without_signal(fd, pieces, count, &n)) return n;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
    bool held = sigismember(&before, SIGPIPE) == 1, was_pending = false; /* by the program itself */
    if (held && sigpending(&pending) == 0) was_pending = sigismember(&pending, SIGPIPE) == 1;
    n = SPORK__SYS(spork__sys_writev(fd, pieces, count));
    int code = errno;
    if (n < 0 && code == EPIPE && !was_pending)
        while (spork__sys_sigtimedwait(&sigpipe, NULL, &(struct timespec){0, 0}) < 0 &&
               errno == EINTR) {}
    if (!held) pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = code;
    return n;
}
#endif

static ssize_t send_some(const spork__channel *channel, struct iovec *pieces, int count, const spork_native *handles,
                         size_t handle_count)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * SPORK__MESSAGE_HANDLES)];
    } control;
    int fds[SPORK__MESSAGE_HANDLES];
    struct iovec part = {pieces[0].iov_base, spork__fault_size(pieces[0].iov_len)};
    if (part.iov_len < pieces[0].iov_len) pieces = &part, count = 1; /* on purpose */
    if (channel->in != channel->out) return write_quietly((int)channel->out, pieces, count);
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = pieces;
    message.msg_iovlen = (__typeof__(message.msg_iovlen))count;
    for (size_t i = 0; i < handle_count; i++) fds[i] = (int)handles[i];
    spork__rights_put(&message, control.room, fds, handle_count);
    return SPORK__SYS(spork__sys_sendmsg((int)channel->out, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
}

static size_t write_header(uint64_t size, unsigned char header[12])
{
    bool large = size > INT32_MAX;
    uint32_t word = large ? UINT32_MAX : (uint32_t)size;
    for (int i = 0; i < 4; i++) header[i] = (unsigned char)(word >> (24 - 8 * i));
    for (int i = 0; large && i < 8; i++) header[4 + i] = (unsigned char)(size >> (56 - 8 * i));
    return large ? 12 : 4;
}

/* A part of a message was sent: the receiver gets the end instead of waiting for the rest. */
static void break_off(spork__channel *channel)
{
    if (channel->in == channel->out) {
        shutdown((int)channel->out, SHUT_WR);
        return;
    }
    spork__os_lock(SPORK__LOCK_START);
    channel->out = spork__fd_close((int)channel->out);
    spork__os_unlock(SPORK__LOCK_START);
}

spork_status spork__os_channel_send(spork__channel *channel, const void *data, size_t size, const spork_native *handles,
                                    size_t handle_count, int timeout_ms)
{
    unsigned char header[12];
    size_t header_size = write_header(size, header), sent = 0;
    spork__deadline d = {.timeout_ms = timeout_ms};
    while (sent < header_size + size) {
        struct iovec pieces[2];
        int count = 0;
        size_t skip = sent > header_size ? sent - header_size : 0;
        if (sent < header_size) pieces[count++] = (struct iovec){header + sent, header_size - sent};
        if (size > skip) pieces[count++] = (struct iovec){(char *)(uintptr_t)data + skip, at_most(size - skip)};
        ssize_t n = send_some(channel, pieces, count, handles, sent == 0 ? handle_count : 0);
        if (n > 0) {
            sent += (size_t)n;
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && !would_block()) {
            int code = errno;
            if (code == EPIPE || is_lost(code))
                return spork__fail(SPORK_CLOSED, "nobody can receive any more");
            spork__fail_os(
                code, "%s",
                sent > 0 ? "a message could only be sent in part"
                : code == ETOOMANYREFS
                    ? "nothing was sent: more descriptors are on their way than this user may "
                      "have open (RLIMIT_NOFILE); once some of them are received it goes on"
                    : "nothing was sent");
            if (sent == 0) return spork_last_status();
            break_off(channel);
            return SPORK_BROKEN;
        } else if (!wait_for((int)channel->out, POLLOUT, &d)) {
            if (sent == 0) return spork__fail(SPORK_TIMEOUT, "nobody received anything for %d ms", timeout_ms);
            break_off(channel);
            return spork__fail(SPORK_BROKEN, "after %d ms only %zu of %zu bytes were sent", timeout_ms, sent,
                               header_size + size);
        }
    }
    return SPORK_OK;
}

/* ---- receiving ---- */

static void take_descriptors(struct msghdr *message, spork__message *into)
{
    int fds[SPORK__MESSAGE_HANDLES];
    size_t count = 0;
    spork__rights_take(message, fds, SPORK__MESSAGE_HANDLES - into->handle_count, &count);
    for (size_t i = 0; i < count; i++) into->handles[into->handle_count++] = fds[i];
}

/* Descriptors come with a message's first bytes, and are on the message's list before any fork can copy them. */
static ssize_t receive_header(int fd, void *to, size_t size, spork__message *m)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * SPORK__MESSAGE_HANDLES)];
    } control;
    struct iovec piece = {to, spork__fault_size(size)};
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.room;
    message.msg_controllen = sizeof control.room;
    spork__os_lock(SPORK__LOCK_START);
    ssize_t n = SPORK__SYS(spork__sys_recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
    int code = errno;
    if (n >= 0) take_descriptors(&message, m);
    /* No room for them: Linux gives what comes with them, macOS and the BSDs keep that for the next call. */
    m->robbed = m->robbed || (n >= 0 ? (message.msg_flags & MSG_CTRUNC) != 0 : code == EMSGSIZE);
    if (n < 0 && code == EMSGSIZE) code = EINTR;
    spork__os_unlock(SPORK__LOCK_START);
    errno = code;
    return n;
}

/* Some bytes more; SPORK_CLOSED at the end. */
static spork_status receive_some(const spork__channel *channel, spork__message *m, void *to, size_t size, size_t *have,
                                 spork__deadline *d)
{
    int fd = (int)channel->in;
    bool socket = channel->in == channel->out;
    for (;;) {
        ssize_t n = !socket ? SPORK__SYS(spork__sys_read(fd, to, spork__fault_size(at_most(size))))
                    : m->known ? SPORK__SYS(spork__sys_recv(
                                     fd, to, spork__fault_size(at_most(size)), MSG_DONTWAIT))
                               : receive_header(fd, to, size, m);
        if (n > 0) {
            *have += (size_t)n;
            return SPORK_OK;
        }
        if (n == 0 || is_lost(errno)) return spork__fail(SPORK_CLOSED, "no more will come");
        if (errno == EINTR) continue;
        if (!would_block()) return spork__fail_os(errno, "nothing can be received");
        if (!wait_for(fd, POLLIN, d)) return spork__fail(SPORK_TIMEOUT, "no message came in %d ms", d->timeout_ms);
    }
}

static uint64_t big_endian(const unsigned char *at, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | at[i];
    return value;
}

/* SPORK_OK: its length is known. */
static spork_status learn_size(const spork__channel *channel, spork__message *m, spork__deadline *d)
{
    while (!m->known) {
        bool large = m->header_have >= 4 && big_endian(m->header, 4) == UINT32_MAX;
        size_t wanted = large ? 12 : 4;
        if (m->header_have < wanted) {
            spork_status status =
                receive_some(channel, m, m->header + m->header_have, wanted - m->header_have, &m->header_have, d);
            if (status != SPORK_OK) return status;
            continue;
        }
        m->size = large ? big_endian(m->header + 4, 8) : big_endian(m->header, 4);
        if (m->size > (large ? INT64_MAX : INT32_MAX))
            return spork__fail(SPORK_BAD_MESSAGE, "what came is no message: a length of %lld", (long long)m->size);
        m->known = true;
    }
    return SPORK_OK;
}

static spork_status receive_message(const spork__channel *channel, spork__message *m, int timeout_ms)
{
    spork__deadline d = {.timeout_ms = timeout_ms};
    spork_status status = learn_size(channel, m, &d);
    if (status == SPORK_OK && m->lent && m->size > m->room) return SPORK_TOO_SMALL;
    while (status == SPORK_OK && m->have < m->size) {
        if (m->have == m->room || m->data == NULL) status = spork__message_grow(m);
        if (status == SPORK_OK)
            status = receive_some(channel, m, m->data + m->have,
                                  m->size - m->have < m->room - m->have ? (size_t)m->size - m->have : m->room - m->have,
                                  &m->have, &d);
    }
    return status;
}

spork_status spork__os_channel_receive(spork__channel *channel, spork__message *m, int timeout_ms)
{
    spork_status status = receive_message(channel, m, timeout_ms);
    if (status == SPORK_OK) m->whole = true;
    if (status == SPORK_CLOSED || status == SPORK_BAD_MESSAGE) {
        spork__message_drop(m);
        m->ended = true;
    }
    return status;
}

spork_status spork__os_channel_unwrap(spork__message *message, size_t *begin)
{
    *begin = 0;
    if (!message->robbed) return SPORK_OK;
    spork__message_drop(message);
    return spork__fail(SPORK_NO_SPACE,
                       "the objects of a message are lost: this process has no more descriptors (ulimit -n)");
}

bool spork__os_channel_ready(spork__channel *channel, spork__message *m, bool sending)
{
    (void)m;
    return sending ? spork__os_is_ready(channel->out, SPORK_WRITE) : spork__os_is_ready(channel->in, SPORK_READ);
}

spork_native spork__os_channel_handle(spork__channel *channel, spork__message *m, bool sending)
{
    (void)m;
    return sending ? channel->out : channel->in;
}

void spork__os_channel_settle(spork__channel *channel, spork__message *m) { (void)channel, (void)m; }

spork_status spork__os_channel_poll(spork__channel *channel, spork__message *m, int timeout_ms)
{
    spork__deadline d = {.timeout_ms = timeout_ms};
    (void)m;
    return wait_for((int)channel->in, POLLIN, &d) ? SPORK_OK : SPORK_TIMEOUT;
}
