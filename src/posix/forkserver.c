/* The fork server, its owner's side. A server is a small process that has only what a child needs: spawned once, it forks on
 * request, at a cost that does not grow with its owner. Where it can (clone.c), it makes each new process a child of its owner;
 * else it is the parent itself, and relays: a pipe for each child, on which it writes the wait status.
 *
 * A server has what its owner had at the moment in which it was spawned: rights, settings, surroundings (attributes.c). When
 * they have changed it is retired and another one spawned: a child always has its parent's present ones. One that is
 * retired starts nothing any more, nor does one that is asked by another user than its own, by the kernel's word: what an
 * owner has given up nobody can get back through its server's socket.
 *
 * Crash points. The server is killed
 *   before it cloned or forked    the owner sees its end, spawns another one and asks again;
 *   after it cloned, unreplied    the kernel has written the sibling's pid into shared memory before it let it run: the owner
 *                                 finds it there, and has its child;
 *   after it forked, unreplied    owner and child agree by one compare-and-swap on a shared word (spork__os_forkserver_claim):
 *                                 either the child ends unseen and the owner asks another server, or the child runs and the
 *                                 owner finds its pid in the word. The target never runs twice;
 *   later                         siblings are not concerned. Relayed children go on; their pipe
 *                                 breaks when they end: they hold it too. How they ended is what
 *                                 their handle tells (Linux 6.15), else SPORK_EXIT_UNKNOWN. By
 *                                 number nobody can signal them any more; by the handle (Linux)
 *                                 one can; what else ends them is their leash, a lifeline for
 *                                 each of its own.
 * The owner is killed: the server's socket ends, and so does it; leashes and lifeline break. */
#include "os.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "log.h"

enum { SERVERS = 16, REPLY_TIMEOUT_MS = 30000, END_TIMEOUT_MS = 1000 };

typedef struct server {
    bool used, retired;
    bool leashes; /* it cannot tie its children to the common lifeline */
    int owner, socket;
    spork__child process;
    spork__block record; /* shared with it: the word `control` is in there */
    spork__server_words *control;
    uint32_t sequence;
    spork__attributes attributes; /* what it has from its owner */
    bool seen;                    /* its owner might look at it */
    uint64_t executable; /* a hash: every forked child looks through these, so they are small */
} server;

static server servers[SERVERS]; /* [0] is the present one; under SPORK__LOCK_SERVER */

/* A server of somebody's own, forked instead of spawned. */
struct spork__nursery {
    server server;
    void (*main)(void *record, size_t size, spork_native ack);
    struct spork__nursery *next;
};
static spork__nursery *nurseries; /* the same */

/* ---- talking ---- */

int spork__socket_send(int fd, const void *data, size_t size, const int *fds, size_t fd_count)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * SPORK__MAX_FDS)];
    } control;
    for (const char *at = data; size > 0;) {
        struct iovec piece = {(void *)(uintptr_t)at, spork__fault_size(size)};
        struct msghdr message;
        memset(&message, 0, sizeof message);
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        spork__rights_put(&message, control.room, fds, fd_count);
#ifdef MSG_NOSIGNAL
        ssize_t n = SPORK__SYS(spork__sys_sendmsg(fd, &message, MSG_NOSIGNAL));
#else
        ssize_t n = SPORK__SYS(spork__sys_sendmsg(fd, &message, 0)); /* SO_NOSIGPIPE is set */
#endif
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        at += n;
        size -= (size_t)n;
        fd_count = 0; /* they went with the first byte */
    }
    return 0;
}

int spork__socket_receive(int fd, void *data, size_t size, int *fds, size_t *fd_count)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * SPORK__MAX_FDS) + SPORK__RIGHTS_ROOM];
    } control;
    size_t room = *fd_count;
    char *at = data;
    *fd_count = 0;
    while (size > 0) {
        struct iovec piece = {at, spork__fault_size(size)};
        struct msghdr message;
        memset(&message, 0, sizeof message);
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
#ifdef MSG_CMSG_CLOEXEC
        ssize_t n = SPORK__SYS(spork__sys_recvmsg(fd, &message, MSG_CMSG_CLOEXEC));
#else
        ssize_t n = SPORK__SYS(spork__sys_recvmsg(fd, &message, 0));
#endif
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        spork__rights_take(&message, fds, room, fd_count); /* those for which this process had no room are lost */
        if (n > 0 && !spork__rights_ours(&message)) {
            errno = EPERM;
            return -1;
        }
        if (n == 0) {
            errno = EPIPE;
            return at == (char *)data ? 0 : -1;
        }
        at += n;
        size -= (size_t)n;
    }
    return 1;
}

/* ---- the server as a process ---- */

static uint64_t hash_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; text != NULL && *text != 0; text++) hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

/* Closes what belongs to it here; its process ends by itself when it sees that. */
static void hang_up(server *s)
{
    s->socket = spork__fd_close(s->socket);
    spork__os_block_free(&s->record);
    s->control = NULL;
}

/* Reaps it if it has ended within that time. */
static bool reap(server *s, int timeout_ms)
{
    spork__end end;
    if (spork__exit_wait(&s->process, timeout_ms) != SPORK_OK || spork__exit_reap(&s->process, &end) != SPORK_OK)
        return false;
    hang_up(s);
    spork__os_child_close(&s->process);
    memset(s, 0, sizeof *s);
    return true;
}

static void reap_those_put_away(void)
{
    for (int i = 1; i < SERVERS; i++)
        if (servers[i].used) reap(&servers[i], 0);
}

/* It ends when it sees that its owner has hung up, and is reaped when servers are used again. */
static void put_away(server *s)
{
    hang_up(s);
    s->retired = true;
    for (int i = 1; i < SERVERS; i++)
        if (!servers[i].used) {
            servers[i] = *s;
            break;
        }
    memset(s, 0, sizeof *s);
}

/* A server whose children are relayed stays until the last of them has ended. One that this process may
 * not signal, as it has given up its rights, is not waited for. */
static void retire(server *s)
{
    spork__request request = {.magic = SPORK__SERVER_MAGIC, .type = SPORK__REQUEST_RETIRE};
    spork__socket_send(s->socket, &request, sizeof request, NULL,
                       0); /* for who has another end of it, too */
    if (!s->process.relay) hang_up(s);
    s->retired = true;
    if (reap(s, s->process.relay ? 0 : END_TIMEOUT_MS) || s->process.relay) return;
    if (spork__exit_signal(&s->process, SIGKILL) == SPORK_OK) reap(s, REPLY_TIMEOUT_MS);
}

/* Ends a server that does not answer. */
static void destroy(server *s)
{
    if (spork__exit_signal(&s->process, SIGKILL) != SPORK_OK || !reap(s, REPLY_TIMEOUT_MS))
        put_away(s);
}

static spork_status make_socket(int ends[2])
{
    spork__os_lock(SPORK__LOCK_START);
    int code = spork__fd_socket_pair(ends) != 0 ? errno : 0;
    spork__os_unlock(SPORK__LOCK_START);
    if (code != 0) return spork__fail_os(code, "no socket for the fork server");
    spork__rights_ask(ends[1]); /* the server's */
    for (int i = 0; i < 2; i++) {
#ifdef SO_NOSIGPIPE
        setsockopt(ends[i], SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int));
#endif
        /* A whole request fits, on macOS too, whose own size is 8 KiB: a server that is stopped does not block us. */
        setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &(int){4 * SPORK__SERVER_INLINE}, sizeof(int));
        setsockopt(ends[i], SOL_SOCKET, SO_RCVBUF, &(int){4 * SPORK__SERVER_INLINE}, sizeof(int));
    }
    return SPORK_OK;
}

static spork_status refuse_elsewhere(void)
{
    return spork__fail(
        SPORK_UNSUPPORTED,
        "this process has its children in another pid namespace (unshare, setns), where a fork "
        "server knows them by other numbers than it does; use SPORK_FORK or SPORK_SPAWN");
}

/* Its process runs: what it says when it can serve: how, and its number, as it sees that itself. */
static spork_status await_server(server *s)
{
    char message[512] = "it died";
    spork__ack ack = spork__os_await(&s->process, REPLY_TIMEOUT_MS, message, sizeof message);
    if (ack == SPORK__ACK_OK) {
        s->process.relay = message[0] == 'r';
        if (message[0] != 0 && atoi(message + 1) != s->process.pid) {
            destroy(s);
            return refuse_elsewhere();
        }
        spork__log(SPORK_LOG_DEBUG, "fork server %d: %s", s->process.pid,
                   s->process.relay ? "relays exits" : "clones siblings");
        return SPORK_OK;
    }
    destroy(s);
    return ack == SPORK__ACK_TIMEOUT
               ? spork__fail(SPORK_BROKEN,
                             "the fork server did not reach spork_init in time; make spork_init(argc, argv); the "
                             "first line of main()")
               : spork__fail(SPORK_BROKEN, "the fork server could not begin: %s", message);
}

/* What it is told, and how it is begun: with the record and the handles that it gets. Under SPORK__LOCK_START. */
typedef spork_status begin_server(server *s, const spork__launch *asked, spork__launch *launch, spork_native *given);

static spork_status open_server(server *s, const spork__launch *asked, begin_server *begin)
{
    int ends[2];
    spork__launch launch;
    spork_native given[SPORK__GIVEN_OBJECTS + 1];
    void *control = NULL;
    memset(&launch, 0, sizeof launch);
    memset(s, 0, sizeof *s);
    if (spork__children_elsewhere()) return refuse_elsewhere();
    spork_status status = make_socket(ends);
    if (status != SPORK_OK) return status;
    for (int i = 0; i < SPORK__GIVEN_OBJECTS; i++) given[i] = SPORK__NO_HANDLE;
    given[SPORK__GIVEN_TREE] = asked->given[SPORK__GIVEN_TREE];
    given[SPORK__GIVEN_OBJECTS] = ends[1];
    launch.name = "the fork server";
    launch.executable = asked->executable;
    launch.nonce = spork__os_nonce();
    launch.given = given;
    launch.given_count = SPORK__GIVEN_OBJECTS + 1;
    launch.record = &s->record;
    s->socket = ends[0];
    spork__attributes_now(
        &s->attributes); /* not after: what another thread gives up meanwhile is a change */
    spork__os_lock(SPORK__LOCK_START);
    status = spork__os_lifeline(&given[SPORK__GIVEN_LIFELINE]);
    if (status == SPORK_OK) status = asked->server_record(&s->record, launch.nonce, &launch.given_there, &control);
    if (status == SPORK_OK) status = begin(s, asked, &launch, given);
    spork__os_unlock(SPORK__LOCK_START);
    spork__fd_close(ends[1]);
    if (status != SPORK_OK) {
        spork__os_block_free(&s->record);
        spork__fd_close(ends[0]);
        memset(s, 0, sizeof *s);
        return status;
    }
    spork__os_block_close_handle(&s->record);
    s->used = true;
    s->owner = (int)getpid();
    s->control = control;
    s->process.relay = 0;
    s->leashes = s->process.job >= 0; /* then it has none of the common lifeline itself */
    s->seen = spork__attributes_may_look_at(s->process.pid);
    s->executable = hash_of(asked->executable);
    return await_server(s);
}

static spork_status begin_spawned(server *s, const spork__launch *asked, spork__launch *launch, spork_native *given)
{
    (void)asked, (void)given;
    return spork__os_spawn(launch, &s->process);
}

static spork_status spawn_server(server *s, const spork__launch *asked)
{
    return open_server(s, asked, begin_spawned);
}

/* ---- nurseries ---- */

static void nursery_main(void *user, spork_native ack, spork_native lifeline)
{
    spork__nursery *n = user;
    (void)lifeline; /* it is a server: it ties itself */
    spork__fd_close(n->server.socket);
    n->main(n->server.record.data, n->server.record.size, ack);
    _exit(1); /* not reached */
}

/* Everything has the same number in the child. But it lets go of its parent's lifeline, as each forked child, so it gets a copy. */
static spork_status begin_forked(server *s, const spork__launch *asked, spork__launch *launch, spork_native *given)
{
    spork__launch fork = {.name = launch->name, .acknowledge = true, .child_main = nursery_main, .user = asked->nursery};
    spork_native none[SPORK__GIVEN_OBJECTS] = {SPORK__NO_HANDLE, SPORK__NO_HANDLE};
    int lifeline = spork__fd_private(SPORK__SYS(dup((int)given[SPORK__GIVEN_LIFELINE])));
    if (lifeline < 0) return spork__fail_os(errno, "no lifeline for the nursery");
    spork__fd_cloexec(lifeline);
    for (size_t i = 0; i < launch->given_count; i++) launch->given_there[i] = given[i];
    launch->given_there[SPORK__GIVEN_LIFELINE] = lifeline;
    fork.given = none;
    fork.given_count = SPORK__GIVEN_OBJECTS;
    spork_status status = spork__os_fork(&fork, &s->process);
    spork__fd_close(lifeline);
    return status;
}

/* A fork takes all locks, in their order. */
static void lock_for(const spork__launch *launch)
{
    if (launch->nursery != NULL) spork__os_lock(SPORK__LOCK_CHILDREN);
    spork__os_lock(SPORK__LOCK_SERVER);
}

static void unlock_for(const spork__launch *launch)
{
    spork__os_unlock(SPORK__LOCK_SERVER);
    if (launch->nursery != NULL) spork__os_unlock(SPORK__LOCK_CHILDREN);
}

spork_status spork__os_nursery_new(const spork__launch *launch,
                                   void (*main)(void *record, size_t size, spork_native ack), spork__nursery **nursery)
{
    spork__launch asked = *launch;
    spork__nursery *n = spork__alloc(sizeof *n, "a nursery");
    if (n == NULL) return SPORK_NO_MEMORY;
    n->main = main;
    asked.nursery = n;
    lock_for(&asked);
    reap_those_put_away();
    spork_status status = open_server(&n->server, &asked, begin_forked);
    if (status == SPORK_OK) {
        n->next = nurseries;
        nurseries = n;
    } else
        spork__free(n);
    unlock_for(&asked);
    if (status == SPORK_OK) *nursery = n;
    return status;
}

void spork__os_nursery_free(spork__nursery *n)
{
    if (n == NULL) return;
    spork__os_lock(SPORK__LOCK_SERVER);
    if (n->server.used) {
        retire(&n->server);
        if (n->server.used) destroy(&n->server); /* it relays, and has children left: they end with it */
    }
    reap_those_put_away();
    for (spork__nursery **at = &nurseries; *at != NULL; at = &(*at)->next)
        if (*at == n) {
            *at = n->next;
            break;
        }
    spork__os_unlock(SPORK__LOCK_SERVER);
    spork__free(n);
}

static bool has_other_rights(const server *s, const spork__attributes *now)
{
    return s->attributes.rights != now->rights || s->attributes.unknown != 0 ||
           (s->seen && !spork__attributes_may_look_at(s->process.pid));
}

static spork_status cannot_tell(const spork__attributes *now)
{
    return spork__fail_os(
        now->unknown,
        "whether the fork server has the rights of this process cannot be told (/proc)");
}

/* One that was forked from its owner as it was keeps the settings of that moment, but no rights that its owner has given up. */
static spork_status present_nursery(const spork__launch *launch, server *s)
{
    spork__attributes now;
    spork__attributes_now(&now);
    if (now.unknown != 0) return cannot_tell(&now);
    if (s->used && has_other_rights(s, &now)) {
        retire(s);
        if (s->used) destroy(s);
    }
    return s->used ? SPORK_OK : open_server(s, launch, begin_forked);
}

static bool is_outdated(const server *s, const spork__launch *launch, const spork__attributes *now)
{
    return has_other_rights(s, now) || s->attributes.settings != now->settings ||
           s->executable != hash_of(launch->executable);
}

/* The present server, for what this process has now. */
static spork_status present(const spork__launch *launch, server **found)
{
    reap_those_put_away();
    server *s = launch->nursery != NULL ? &launch->nursery->server : &servers[0];
    *found = s;
    if (launch->nursery != NULL) return present_nursery(launch, s);
    spork__attributes now;
    spork__attributes_now(&now);
    if (now.unknown != 0) return cannot_tell(&now);
    if (s->used && is_outdated(s, launch, &now)) {
        int free_place = 0;
        for (int i = 1; i < SERVERS && free_place == 0; i++)
            if (!servers[i].used) free_place = i;
        if (free_place == 0 && s->process.relay)
            return spork__fail(SPORK_NO_SPACE,
                               "%d fork servers with other surroundings still have children: join those first",
                               SERVERS);
        retire(s);
        if (s->used && free_place == 0) put_away(s);
        if (s->used) { /* it relays, or may not be signalled: its children know it by its place */
            servers[free_place] = *s;
            memset(s, 0, sizeof *s);
        }
    }
    return s->used ? SPORK_OK : spawn_server(s, launch);
}

/* ---- requests ---- */

typedef struct packet {
    spork__request request;
    int fds[SPORK__MAX_FDS];
    int64_t numbers[SPORK__MAX_FDS];
    size_t fd_count, number_count;
} packet;

/* One of the handles: -2 none, -3 the server's own, -1 any number, else that number. */
static bool add_handle(packet *p, spork_native fd, int64_t number)
{
    if (p->number_count == SPORK__MAX_FDS || p->fd_count == SPORK__MAX_FDS) return false;
    p->numbers[p->number_count++] = number;
    if (number >= -1) p->fds[p->fd_count++] = (int)fd;
    return true;
}

/* Those of now, so that the server keeps none. */
static uint32_t add_streams(packet *p)
{
    uint32_t sent = SPORK__STREAMS_SENT;
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) >= 0) {
            p->fds[p->fd_count++] = fd;
            sent |= 1u << fd;
        }
    return sent;
}

static bool fill_packet(packet *p, const spork__launch *launch, int ack, int leash, const spork__block *block)
{
    bool fits = true;
    memset(&p->request, 0, sizeof p->request);
    p->fd_count = p->number_count = 0;
    if (ack >= 0) p->fds[p->fd_count++] = ack;
    if (block->data != NULL) p->fds[p->fd_count++] = (int)block->handle;
    if (launch->nursery == NULL) p->request.streams = add_streams(p);
    for (size_t i = 0; i < launch->given_count; i++) {
        spork_native fd = launch->given[i];
        if (i == SPORK__GIVEN_LIFELINE && leash >= 0) {
            fits = fits && add_handle(p, leash, -1);
            continue;
        }
        bool servers_own = i == SPORK__GIVEN_TREE || i == SPORK__GIVEN_LIFELINE;
        fits = fits && add_handle(p, fd, fd == SPORK__NO_HANDLE ? -2 : servers_own ? -3 : -1);
    }
    for (size_t i = 0; i < launch->pass_count; i++) fits = fits && add_handle(p, launch->pass[i], launch->pass[i]);
    p->request.magic = SPORK__SERVER_MAGIC;
    p->request.type = SPORK__REQUEST_START;
    p->request.size = (uint32_t)(block->data != NULL ? 0 : launch->bytes_size);
    p->request.fd_count = (uint32_t)p->fd_count;
    p->request.has_ack = ack >= 0;
    p->request.has_block = block->data != NULL;
    p->request.number_count = (int32_t)p->number_count;
    return fits;
}

typedef enum outcome { ANSWERED, NO_ANSWER } outcome;

static void drop_both(int fds[2])
{
    for (int i = 0; i < 2; i++) fds[i] = spork__fd_close(fds[i]);
}

static outcome receive_reply(server *s, spork__reply *reply, int fds[2])
{
    size_t fd_count = 2;
    int got = 0, ready = spork__fd_wait(s->socket, (int)s->process.handle, REPLY_TIMEOUT_MS);
    if (!(ready & 1) && spork__fd_wait(s->socket, -1, 0) == 0) return NO_ANSWER;
    for (int attempt = 0; attempt < 2 && got != 1; attempt++) { /* again after a passing error that took nothing */
        fd_count = 2;
        got = spork__socket_receive(s->socket, reply, sizeof *reply, fds, &fd_count);
        if (got == 0 || (got < 0 && (errno == EPIPE || errno == ECONNRESET))) break;
    }
    if (got == 1) return ANSWERED;
    drop_both(fds);
    return NO_ANSWER;
}

static outcome ask(server *s, const packet *p, const void *bytes, spork__reply *reply, int fds[2])
{
    fds[0] = fds[1] = -1;
    if (spork__socket_send(s->socket, &p->request, sizeof p->request, p->fds, p->fd_count) != 0 ||
        (p->number_count > 0 &&
         spork__socket_send(s->socket, p->numbers, p->number_count * sizeof *p->numbers, NULL, 0) != 0) ||
        (p->request.size > 0 && spork__socket_send(s->socket, bytes, p->request.size, NULL, 0) != 0))
        return NO_ANSWER;
    for (;;) {
        if (receive_reply(s, reply, fds) != ANSWERED || reply->magic != SPORK__SERVER_MAGIC)
            return NO_ANSWER;
        if (reply->sequence == p->request.sequence) return ANSWERED;
        /* To an earlier request, which nobody waited for any longer: the server was stopped. */
        drop_both(fds);
    }
}

static uint64_t word(uint32_t sequence, uint32_t who) { return (uint64_t)sequence << 32 | who; }
enum { GIVEN_UP = -1 };

bool spork__os_forkserver_claim(void *control, uint32_t sequence)
{
    spork__server_words *words = control;
    uint64_t seen = word(sequence, 0);
    if (sequence == 0) return true;
    /* Another sequence: the owner has gone on to the next request of this server, so it had its answer about us. */
    return atomic_compare_exchange_strong(&words->claim, &seen, word(sequence, (uint32_t)getpid())) ||
           (uint32_t)(seen >> 32) != sequence;
}

/* The server has ended without an answer: is there a child, and will it run? Its pid, or 0. *relayed: who is its parent. */
static int settle(server *s, uint32_t sequence, int *relayed)
{
    uint64_t seen = word(sequence, 0);
    int pid = (int)atomic_load(&s->control->cloned);
    *relayed = pid == 0;
    if (pid != 0) return pid;
    return atomic_compare_exchange_strong(&s->control->claim, &seen, word(sequence, (uint32_t)GIVEN_UP))
               ? 0
               : (int)(uint32_t)seen;
}

static spork_status not_started(server *s, const spork__reply *reply, bool *again)
{
    *again = reply->untied && !s->leashes;
    s->leashes = s->leashes || reply->untied;
    return spork__fail_os(reply->code, "the fork server cannot %.50s", reply->stage);
}

static spork_status start_once(server *s, const spork__launch *launch, packet *p, spork__child *child, bool *again)
{
    spork__reply reply;
    int fds[2], ack = (int)child->ack, relayed;
    spork_native leash = child->job;
    *again = false;
    if (++s->sequence == 0) s->sequence = 1;
    p->request.sequence = s->sequence;
    atomic_store(&s->control->cloned, 0);
    atomic_store(&s->control->claim, word(s->sequence, 0));
    if (ask(s, p, launch->bytes, &reply, fds) == ANSWERED) {
        if (reply.pid <= 0) return not_started(s, &reply, again);
        if (reply.relayed) s->process.relay = 1; /* perhaps not from the first on: cloning was forbidden later */
        if (reply.relayed && fds[0] < 0)
            spork__log(SPORK_LOG_WARNING, "no descriptor was left for the end of process %d: it will not be known",
                       reply.pid);
        *child = (spork__child){.pid = reply.pid,
                                .relay = reply.relayed ? s->process.pid : 0,
                                .handle = reply.relayed ? fds[0] : spork__exit_open(reply.pid),
                                .job = leash,
                                .interrupt = fds[1],
                                .ack = ack};
        return SPORK_OK;
    }
    spork__log(SPORK_LOG_INFO, "fork server %d is gone: another one is started", s->process.pid);
    spork__exit_signal(&s->process, SIGKILL); /* it may only be stopped */
    spork__exit_wait(&s->process, REPLY_TIMEOUT_MS);
    int pid = settle(s, s->sequence, &relayed), parent = relayed ? s->process.pid : 0;
    destroy(s);
    if (pid == 0) {
        *again = true;
        return spork__fail(SPORK_BROKEN, "the fork server died");
    }
    *child = (spork__child){pid, parent, spork__exit_open(pid), leash, SPORK__NO_HANDLE, ack};
    return SPORK_OK;
}

/* A record that does not fit into a socket's buffer goes by shared memory: a server that is stopped must not block us. */
static spork_status make_block(const spork__launch *launch, spork__block *block)
{
    memset(block, 0, sizeof *block);
    if (launch->bytes_size <= SPORK__SERVER_INLINE) return SPORK_OK;
    spork_status status = spork__os_block_new(block, launch->bytes_size);
    if (status == SPORK_OK) memcpy(block->data, launch->bytes, launch->bytes_size);
    return status;
}

spork_status spork__os_forkserver(const spork__launch *launch, spork__child *child)
{
    packet *p = spork__alloc(sizeof *p, "a request");
    spork__block block = {0};
    int ack[2] = {-1, -1}, leash[2] = {-1, -1};
    bool again = true;
    *child = SPORK__NO_CHILD;
    if (p == NULL) return SPORK_NO_MEMORY;
    lock_for(launch); /* a fork in another thread waits for this one: no descriptor below leaks into it */
    spork_status status = spork__check_passed(launch);
    if (status == SPORK_OK) status = make_block(launch, &block);
    if (status == SPORK_OK && launch->acknowledge && spork__fd_pipe(ack) != 0)
        status = spork__fail_os(errno, "no pipe");
    for (int attempt = 0; status == SPORK_OK && again && attempt < 4; attempt++) {
        server *s;
        if ((status = present(launch, &s)) != SPORK_OK) break;
        if ((s->process.relay || s->leashes) && !launch->outlive_parent && leash[0] < 0 &&
            spork__fd_pipe(leash) != 0) {
            status = spork__fail_os(errno, "no pipe");
            break;
        }
        if (!fill_packet(p, launch, ack[1], leash[0], &block)) {
            status = spork__fail(SPORK_TOO_LARGE, "a child can be given %d descriptors at most", SPORK__MAX_FDS);
            break;
        }
        child->ack = ack[0];
        child->job = leash[1];
        status = start_once(s, launch, p, child, &again);
        if (again && attempt < 3) status = SPORK_OK;
    }
    spork__fd_close(ack[1]);
    spork__fd_close(leash[0]);
    if (status != SPORK_OK) {
        spork__fd_close(ack[0]);
        spork__fd_close(leash[1]);
        *child = SPORK__NO_CHILD;
    }
    spork__os_block_free(&block);
    unlock_for(launch);
    spork__free(p);
    return status;
}

void spork__os_forkserver_stop(void)
{
    spork__os_lock(SPORK__LOCK_SERVER);
    for (int i = 0; i < SERVERS; i++)
        if (servers[i].used && !servers[i].retired && servers[i].owner == (int)getpid()) retire(&servers[i]);
    spork__os_unlock(SPORK__LOCK_SERVER);
}

static void forget(server *s)
{
    if (!s->used) return;
    spork__fd_close(s->socket);
    spork__os_child_close(&s->process);
    s->used = false; /* the shared word stays mapped: unmapping is not async-signal-safe by the letter */
}

void spork__os_forkserver_forget(void)
{
    spork__relay_pipe = spork__fd_close(spork__relay_pipe);
    for (int i = 0; i < SERVERS; i++) forget(&servers[i]);
    for (spork__nursery *n = nurseries; n != NULL; n = n->next) forget(&n->server);
    nurseries = NULL;
}

int spork__os_forkserver_pid(void)
{
    spork__os_lock(SPORK__LOCK_SERVER);
    int pid = servers[0].used ? servers[0].process.pid : 0;
    spork__os_unlock(SPORK__LOCK_SERVER);
    return pid;
}

/* ---- relayed children ---- */

/* A child that nobody tells us of: its server was killed before it answered. What is left to ask is whether it lives. */
static bool lives_untold(const spork__child *child)
{
    return child->handle == SPORK__NO_HANDLE && spork__os_process_alive(child->pid, 0);
}

spork_status spork__relay_wait(const spork__child *child, int timeout_ms)
{
    uint64_t begin = spork__os_now();
    if (child->handle != SPORK__NO_HANDLE)
        return spork__fd_wait((int)child->handle, -1, timeout_ms) != 0 ? SPORK_OK : SPORK_TIMEOUT;
    while (lives_untold(child)) {
        if (timeout_ms >= 0 && spork__os_now() - begin >= (uint64_t)timeout_ms * 1000000) return SPORK_TIMEOUT;
        spork__os_sleep(1);
    }
    return SPORK_OK;
}

spork_status spork__relay_reap(spork__child *child, spork__end *end)
{
    int64_t told[3]; /* status, peak RSS, CPU ms */
    memset(end, 0, sizeof *end);
    end->exitcode = SPORK_RUNNING;
    if (child->handle != SPORK__NO_HANDLE && spork__fd_wait((int)child->handle, -1, 0) == 0) return SPORK_TIMEOUT;
    if (lives_untold(child)) return SPORK_TIMEOUT;
    int got = 0;
    for (int attempt = 0; attempt < 2 && got != 1; attempt++) /* again after a passing error, before it is given up */
        got = child->handle == SPORK__NO_HANDLE ? 0 : spork__fd_read((int)child->handle, told, sizeof told);
    if (got != 1) { /* its server was killed */
        /* Of one that nobody told us of, the first is such a handle itself. */
        if (!spork__exit_told((int)child->interrupt, end) &&
            !spork__exit_told((int)child->handle, end))
            end->exitcode = SPORK_EXIT_UNKNOWN;
        return SPORK_OK;
    }
    spork__exit_decode((int)told[0], end);
    end->peak_rss = (uint64_t)told[1];
    end->cpu_ms = (uint64_t)told[2];
    return SPORK_OK;
}

static spork_status ask_to_signal(server *s, packet *p, const spork__child *child, int number)
{
    spork__reply reply;
    int fds[2];
    if (!s->used || s->process.pid != child->relay || s->owner != (int)getpid()) return SPORK_BROKEN;
    p->request = (spork__request){.magic = SPORK__SERVER_MAGIC,
                                  .type = SPORK__REQUEST_SIGNAL,
                                  .sequence = ++s->sequence,
                                  .pid = child->pid,
                                  .signal = number};
    return ask(s, p, NULL, &reply, fds) == ANSWERED && reply.pid == child->pid ? SPORK_OK
                                                                               : SPORK_BROKEN;
}

/* Without a handle the server, who is the parent, alone knows whether the number is still this
 * child's. */
spork_status spork__relay_signal(spork__child *child, int number)
{
    spork_status status = SPORK_BROKEN;
    if (spork__exit_signal_by((int)child->interrupt, number)) return SPORK_OK;
    packet *p = spork__alloc(sizeof *p, "a request");
    if (p == NULL) return SPORK_NO_MEMORY;
    spork__os_lock(SPORK__LOCK_SERVER);
    for (int i = 0; i < SERVERS && status != SPORK_OK; i++) status = ask_to_signal(&servers[i], p, child, number);
    for (spork__nursery *n = nurseries; n != NULL && status != SPORK_OK; n = n->next)
        status = ask_to_signal(&n->server, p, child, number);
    spork__os_unlock(SPORK__LOCK_SERVER);
    spork__free(p);
    if (status == SPORK_OK || spork__fd_wait((int)child->handle, -1, 0) != 0) return SPORK_OK; /* or it has ended */
    if (child->job == SPORK__NO_HANDLE || number == SIGINT)
        return spork__fail(
            SPORK_BROKEN, "process %d cannot be signalled: its fork server, which alone could, was killed", child->pid);
    spork__fd_close((int)child->job); /* its leash breaks: it is killed */
    child->job = SPORK__NO_HANDLE;
    return SPORK_OK;
}
