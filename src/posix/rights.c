/* Descriptors that travel beside bytes over a socket (SCM_RIGHTS). */
#include "os.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void spork__rights_put(struct msghdr *message, void *room, const int *fds, size_t count)
{
    if (count == 0) return;
    memset(room, 0, CMSG_SPACE(sizeof(int) * count));
    message->msg_control = room;
    message->msg_controllen = (socklen_t)CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = (socklen_t)CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
}

/* Linux: a descriptor, too, of the sender's process, for a socket with the option SO_PASSPIDFD. */
#ifdef __linux__
enum { PIDFD = 4 /* SCM_PIDFD */ };
#else
enum { PIDFD = SCM_RIGHTS };
#endif

/* musl's macro converts signs, and is compiled as part of who uses it. */
#ifdef __GNUC__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wsign-compare"
#endif
static struct cmsghdr *next_of(struct msghdr *message, struct cmsghdr *c) { return CMSG_NXTHDR(message, c); }
#ifdef __GNUC__
#pragma GCC diagnostic pop
#endif

#ifdef SO_PASSCRED

void spork__rights_ask(int socket)
{
    setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int));
}

bool spork__rights_ours(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = next_of(message, c)) {
        struct ucred sender;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS) continue;
        memcpy(&sender, CMSG_DATA(c), sizeof sender);
        if (sender.uid != getuid() || sender.gid != getgid()) return false;
    }
    return true;
}

#else
void spork__rights_ask(int socket) { (void)socket; }
bool spork__rights_ours(struct msghdr *message) { return (void)message, true; }
#endif

void spork__rights_take(struct msghdr *message, int *fds, size_t room, size_t *count)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = next_of(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || (c->cmsg_type != SCM_RIGHTS && c->cmsg_type != PIDFD))
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (c->cmsg_type == SCM_RIGHTS && *count < room)
                fds[(*count)++] = spork__fd_cloexec(spork__fd_private(fd));
            else
                spork__fd_close(fd);
        }
    }
}
