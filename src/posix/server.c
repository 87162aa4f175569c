/* The fork server itself: one thread, one loop. Everything a child needs is prepared before the fork, so that what is left to
 * the child can hardly fail. forkserver.c tells the other side, and what each crash leaves behind. */
#include "os.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"

/* A child that we reap for our owner. */
typedef struct relayed {
    int pid, pipe;
    struct relayed *next;
} relayed;

static struct {
    spork__server_words *words;
    int socket, lifeline, tree;
    int next_lifeline; /* an end for the next child, opened while nobody waits */
    bool relay, retired;
    relayed *children;
} self;

static int wake[2] = {-1, -1}; /* a child has ended */
int spork__relay_pipe = -1;

/* ---- relayed children ---- */

static void on_child(int number)
{
    int code = errno;
    (void)number;
    if (spork__sys_write(wake[1], "", 1) < 0) {} /* full: it wakes us all the same */
    errno = code;
}

static bool watch_children(void)
{
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART};
    if (wake[0] >= 0) return true;
    if (spork__fd_pipe(wake) != 0) return false;
    fcntl(wake[0], F_SETFL, O_NONBLOCK);
    fcntl(wake[1], F_SETFL, O_NONBLOCK);
    sigaction(SIGCHLD, &action, NULL);
    return true;
}

static void reap_children(void)
{
    for (relayed **at = &self.children, *r; (r = *at) != NULL;) {
        struct rusage used;
        int status = 0;
        if (spork__sys_wait4(r->pid, &status, WNOHANG, &used) != r->pid) {
            at = &r->next;
            continue;
        }
#ifdef __APPLE__
        int64_t peak = used.ru_maxrss;
#else
        int64_t peak = (int64_t)used.ru_maxrss * 1024;
#endif
        int64_t told[3] = {status, peak,
                           (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
                               (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000};
        spork__fd_write(r->pipe, told, sizeof told); /* an empty pipe takes that; nobody there: SIGPIPE is ignored */
        spork__fd_close(r->pipe);
        *at = r->next;
        spork__free(r);
    }
}

/* ---- answers ---- */

static void send_reply(spork__reply *reply, uint32_t sequence, const char *stage, const int fds[2])
{
    reply->magic = SPORK__SERVER_MAGIC;
    reply->sequence = sequence;
    snprintf(reply->stage, sizeof reply->stage, "%s", stage);
    if (spork__socket_send(self.socket, reply, sizeof *reply, fds, reply->relayed) != 0)
        spork__os_exit(0); /* owner gone */
}

static void answer(uint32_t sequence, int pid, int code, const char *stage, int pipe)
{
    int fds[2] = {pipe, pipe >= 0 ? spork__exit_open_for_others(pid) : -1};
    spork__reply reply = {
        .pid = pid, .code = code, .relayed = (uint32_t)((fds[0] >= 0) + (fds[1] >= 0))};
    send_reply(&reply, sequence, stage, fds);
    spork__fd_close(fds[1]);
}

static void answer_signal(const spork__request *request)
{
    int pid = 0;
    reap_children(); /* what has ended must not be signalled */
    for (relayed *r = self.children; r != NULL; r = r->next)
        if (r->pid == request->pid && kill(r->pid, request->signal) == 0) pid = r->pid;
    answer(request->sequence, pid, ESRCH, "signal", -1);
}

/* ---- requests ---- */

typedef struct job {
    spork__request request;
    int fds[SPORK__MAX_FDS];
    size_t fd_count;
    int64_t numbers[SPORK__MAX_FDS];
    spork__block block;
    void *inline_bytes;
} job;

static void drop(job *j)
{
    for (size_t i = 0; i < j->fd_count; i++) spork__fd_close(j->fds[i]);
    if (j->block.data != NULL) {
        j->block.handle = SPORK__NO_HANDLE; /* among the fds */
        spork__os_block_free(&j->block);
    }
    spork__free(j->inline_bytes);
    memset(j, 0, sizeof *j);
}

static bool has_stream(const spork__request *r, int fd) { return (r->streams >> fd & 1) != 0; }

/* Of its descriptors the one behind those that serve the start. */
static size_t first_handle(const spork__request *r)
{
    size_t first = (size_t)(r->has_ack != 0) + (r->has_block != 0);
    for (int fd = 0; fd < 3; fd++) first += has_stream(r, fd);
    return first;
}

/* The rest of a request. False: the stream makes no sense, or is over; there is no going on after that. */
static bool receive(job *j)
{
    const spork__request *r = &j->request;
    size_t none = 0;
    if (r->number_count < 0 || r->number_count > SPORK__MAX_FDS || r->size > SPORK__SERVER_INLINE ||
        j->fd_count != r->fd_count || first_handle(r) > j->fd_count)
        return false;
    if (r->number_count > 0 &&
        spork__socket_receive(self.socket, j->numbers, (size_t)r->number_count * sizeof *j->numbers, NULL, &none) != 1)
        return false;
    if (r->has_block) {
        spork_native fd = j->fds[r->has_ack ? 1 : 0];
        return spork__os_block_open(&j->block, fd, 0) == SPORK_OK;
    }
    none = 0;
    j->inline_bytes = spork__alloc(r->size + 1, "a request");
    return j->inline_bytes != NULL && spork__socket_receive(self.socket, j->inline_bytes, r->size, NULL, &none) == 1;
}

static bool is_wanted(const job *j, int number)
{
    for (int i = 0; i < j->request.number_count; i++)
        if (j->numbers[i] == number) return true;
    return false;
}

/* To a number that is free and that nobody has asked for. */
static bool step_aside(const job *j, int *fd)
{
    int to = 3;
    if (*fd < 0 || !is_wanted(j, *fd)) return true;
    for (;; to++) {
        while (is_wanted(j, to)) to++;
        if ((to = SPORK__SYS(fcntl(*fd, F_DUPFD_CLOEXEC, to))) < 0) return false;
        if (!is_wanted(j, to)) break;
        spork__sys_close(to);
    }
    spork__sys_close(*fd);
    *fd = to;
    return true;
}

/* The numbers that were asked for may be anything that was free in the owner: what is open here
 * leaves them. */
static bool make_room(job *j, const spork__served *served)
{
    int tree = (int)*served->tree, program = spork__program_fd();
    bool fits = step_aside(j, &self.next_lifeline) && step_aside(j, &spork__relay_pipe) &&
                step_aside(j, &tree) && step_aside(j, &program);
    *served->tree = tree;
    spork__program_moved(program);
    for (size_t i = 0; fits && i < j->fd_count; i++) fits = step_aside(j, &j->fds[i]);
    return fits;
}

/* Gives the descriptors the numbers that they are to have. */
static int place(job *j, const spork__served *served)
{
    int64_t *numbers = served->handles;
    size_t next = first_handle(&j->request);
    if (!make_room(j, served)) return -1;
    for (int i = 0; i < j->request.number_count; i++) {
        int64_t wish = j->numbers[i];
        numbers[i] = SPORK__NO_HANDLE;
        if (wish == -2) continue;
        if (wish == -3) {
            numbers[i] = i == SPORK__GIVEN_TREE ? self.tree : self.next_lifeline;
            continue;
        }
        if (next >= j->fd_count) {
            errno = EPROTO;
            return -1;
        }
        int fd = j->fds[next++];
        if (wish >= 0) {
            while (SPORK__SYS(dup2(fd, (int)wish)) < 0) {
                if (errno != EINTR) return -1;
            }
            spork__sys_close(fd);
            fd = (int)wish;
        }
        numbers[i] = fd;
    }
    return 0;
}

/* The owner's streams take their places in the child. */
static int place_streams(job *j)
{
    size_t next = (size_t)(j->request.has_ack != 0) + (j->request.has_block != 0);
    for (int fd = 0; fd < 3 && j->request.streams != 0; fd++) {
        if (!has_stream(&j->request, fd)) {
            spork__sys_close(fd);
            continue;
        }
        while (SPORK__SYS(dup2(j->fds[next], fd)) < 0)
            if (errno != EINTR) return -1;
        spork__sys_close(j->fds[next]);
        j->fds[next++] = -1;
    }
    return 0;
}

/* A server that is given the streams with each request keeps nobody's open or waiting: a terminal, a
 * pipe to the next program. */
static void leave_streams(void)
{
    static bool left;
    int null = left ? -1 : spork__fd_open("/dev/null", O_RDWR);
    if (null < 0) return;
    for (int fd = 0; fd < 3; fd++)
        while (dup2(null, fd) < 0 && errno == EINTR) {}
    spork__fd_close(null);
    left = true;
}

static void become_child(job *j, int own_pipe, spork__served *served)
{
    spork__signal_default(SIGCHLD);
    spork__signal_default(SIGPIPE);
    spork__fd_close(self.socket);
    spork__fd_close(self.lifeline);
    for (int i = 0; i < 2; i++) wake[i] = spork__fd_close(wake[i]);
    if (!self.relay) spork__os_lifeline_forget(); /* a raw clone calls no fork handlers */
    for (relayed *r; (r = self.children) != NULL; self.children = r->next, spork__free(r)) spork__fd_close(r->pipe);
    spork__relay_pipe = own_pipe;
    served->ack = j->request.has_ack ? j->fds[0] : SPORK__NO_HANDLE;
    static int64_t numbers[SPORK__MAX_FDS];
    served->handles = numbers;
    served->handle_count = (size_t)j->request.number_count;
    served->sequence =
        self.relay ? j->request.sequence : 0; /* a sibling's pid is known to the owner, whatever happens */
    int code = place_streams(j) != 0 || place(j, served) != 0 ? errno : 0;
    if (j->request.has_ack) served->ack = j->fds[0]; /* it may have moved */
    if (code != 0) {
        spork__fail_os(code, "the descriptors cannot get their numbers");
        spork__os_acknowledge(served->ack, spork_error());
        spork__os_exit(1);
    }
    if (served->handle_count <= SPORK__GIVEN_LIFELINE || served->handles[SPORK__GIVEN_LIFELINE] != self.next_lifeline)
        spork__fd_close(self.next_lifeline); /* it has a leash of its own, or outlives its parent */
    if (j->request.has_block) spork__fd_close(j->fds[j->request.has_ack ? 1 : 0]);
}

/* False: the child is to be tied to the common lifeline, and cannot; answered. */
static bool have_lifeline(const job *j)
{
    if (j->request.number_count <= SPORK__GIVEN_LIFELINE || j->numbers[SPORK__GIVEN_LIFELINE] != -3)
        return true;
    if (self.next_lifeline >= 0 || (self.next_lifeline = spork__lifeline_open(self.lifeline)) >= 0)
        return true;
    spork__reply reply = {.code = errno, .untied = !spork__is_full(errno)};
    send_reply(&reply, j->request.sequence, "open a lifeline", NULL);
    return false;
}

/* True in the child. */
static bool start(job *j, spork__served *served)
{
    int pipe_ends[2] = {-1, -1}, pid = -1;
    relayed *r = NULL;
    if (!have_lifeline(j)) {
        drop(j);
        return false;
    }
    served->bytes = j->request.has_block ? j->block.data : j->inline_bytes;
    served->size = j->request.has_block ? j->block.size : j->request.size; /* of a block maybe rounded up */
    served->prepare(served->bytes, served->size); /* here: in a child its pages would have to be copied */
    if (!self.relay && (pid = spork__clone_sibling(&self.words->cloned)) < 0 && errno != EAGAIN && errno != ENOMEM)
        self.relay = true; /* forbidden after all, as in a sandbox */
    if (self.relay) {
        r = spork__alloc(sizeof *r, "a relayed child");
        if (r == NULL || !watch_children() || spork__fd_pipe(pipe_ends) != 0) {
            spork__free(r);
            answer(j->request.sequence, 0, errno, "make a pipe", -1);
            drop(j);
            return false;
        }
        fcntl(pipe_ends[1], F_SETFL, O_NONBLOCK);
        pid = SPORK__SYS(fork());
    }
    if (pid == 0) {
        spork__fd_close(pipe_ends[0]);
        spork__free(r);
        become_child(j, pipe_ends[1], served);
        return true;
    }
    int code = errno;
    if (pid > 0 && r != NULL) {
        *r = (relayed){pid, pipe_ends[1], self.children};
        self.children = r;
    } else {
        spork__free(r);
        spork__fd_close(pipe_ends[1]);
    }
    answer(j->request.sequence, pid > 0 ? pid : 0, code, "fork", pid > 0 ? pipe_ends[0] : -1);
    spork__fd_close(pipe_ends[0]);
    if (pid > 0) self.next_lifeline = spork__fd_close(self.next_lifeline);
    drop(j);
    return false;
}

/* True in a child. */
static bool serve(spork__served *served)
{
    job j; /* 3 KiB of stack, rather than of every program's data */
    memset(&j, 0, sizeof j);
    j.fd_count = SPORK__MAX_FDS;
    if (spork__socket_receive(self.socket, &j.request, sizeof j.request, j.fds, &j.fd_count) != 1 ||
        j.request.magic != SPORK__SERVER_MAGIC) {
        self.socket = spork__fd_close(self.socket); /* the owner is gone */
        drop(&j);
        return false;
    }
    switch (j.request.type) {
    case SPORK__REQUEST_SIGNAL: answer_signal(&j.request); break;
    case SPORK__REQUEST_RETIRE: self.retired = true; break;
    case SPORK__REQUEST_START:
        if (receive(&j) && !self.retired) {
            if (j.request.streams != 0) leave_streams();
            return start(&j, served);
        }
        self.socket = spork__fd_close(self.socket);
        drop(&j);
        break;
    default: self.socket = spork__fd_close(self.socket);
    }
    return false;
}

spork_status spork__os_forkserver_main(spork_native socket, spork_native lifeline, void *control, spork_native ack,
                                       spork__served *served)
{
    const char *wish =
        spork__os_getenv("SPORK_FORKSERVER"); /* "relay" keeps it from cloning, for tests and for trouble */
    self.words = control;
    if (!spork__lifeline_needs_thread()) { /* else the end of the socket has to do: a server has one thread */
        int own = spork__lifeline_open((int)lifeline);
        if (own < 0 && spork__is_full(errno)) return spork__fail_os(errno, "no lifeline");
        spork_status status = own >= 0 ? spork__os_lifeline_tie(own) : SPORK_OK;
        if (status != SPORK_OK) return status;
    }
    signal(SIGPIPE, SIG_IGN);
    self.socket = (int)socket;
    self.lifeline = (int)lifeline;
    self.next_lifeline = -1;
    self.tree = -1; /* mapped: children find it so */
    self.relay = (wish != NULL && strcmp(wish, "relay") == 0) || !spork__clone_works();
    if (self.relay && !watch_children()) return spork__fail_os(errno, "no pipe");
    char how[32];
    snprintf(how, sizeof how, "+%c%d", self.relay ? 'r' : 'c', (int)getpid());
    spork__fd_write((int)ack, how, strlen(how));
    spork__fd_close((int)ack);
    for (;;) {
        if (self.next_lifeline < 0) self.next_lifeline = spork__lifeline_open(self.lifeline);
        if (self.children == NULL && (self.socket < 0 || self.retired)) spork__os_exit(0);
        struct pollfd fds[2] = {{.fd = self.socket, .events = POLLIN}, {.fd = wake[0], .events = POLLIN}};
        bool asked = spork__sys_poll(fds, 2, -1) > 0 &&
                     fds[0].revents != 0; /* a signal is a reason to look at the children, too */
        char rest[64];
        if (fds[1].revents != 0)
            while (spork__sys_read(wake[0], rest, sizeof rest) > 0) {}
        reap_children();
        if (asked && self.socket >= 0 && serve(served)) return SPORK_OK;
    }
}
