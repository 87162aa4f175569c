/* A clean child: this program (or the one that was set) started anew. It is told who it is by one environment variable, which names
 * the descriptor of its bootstrap record and that on which it acknowledges:
 *
 *     SPORK_BOOTSTRAP=<record>:<acknowledge>:<parent's pid>:<nonce>:<program>
 *
 * The parent's pid keeps a program that is run by the child's own constructors, and inherits the variable, from taking itself for the
 * child; the nonce, which stands in the record too, a descriptor that was reused. The program is a
 * descriptor of it for a child that has no /proc to find it by, else -1. */
#include "os.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "alloc.h"

extern char **environ;

static const char variable[] = "SPORK_BOOTSTRAP";

spork_status spork__check_passed(const spork__launch *launch)
{
    for (size_t i = 0; i < launch->pass_count; i++)
        if (fcntl((int)launch->pass[i], F_GETFD) < 0)
            return spork__fail(SPORK_INVALID, "pass_fds[%zu]: descriptor %d is not open", i, (int)launch->pass[i]);
    return SPORK_OK;
}

/* ---- the parent's side ---- */

/* The environment with our variable in front; the strings are shared. */
static char **make_environment(char *ours)
{
    size_t count = 0;
    while (environ != NULL && environ[count] != NULL) count++;
    char **list = spork__alloc((count + 2) * sizeof *list, "a child's environment");
    if (list == NULL) return NULL;
    size_t used = 0;
    list[used++] = ours;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], variable, sizeof variable - 1) != 0) list[used++] = environ[i];
    return list;
}

/* Lets a descriptor through the exec under its own number. */
static int keep(posix_spawn_file_actions_t *actions, spork_native fd)
{
    if (fd < 0) return 0;
#ifdef __APPLE__
    return posix_spawn_file_actions_addinherit_np(actions, (int)fd);
#else
    return posix_spawn_file_actions_adddup2(actions, (int)fd, (int)fd); /* the same number: clears close-on-exec */
#endif
}

static int keep_all(posix_spawn_file_actions_t *actions, const spork__launch *launch, int ack)
{
    int code = keep(actions, launch->record->handle);
    if (code == 0) code = keep(actions, ack);
#ifdef __APPLE__
    for (int fd = 0; code == 0 && fd < 3; fd++) code = fcntl(fd, F_GETFD) < 0 ? 0 : keep(actions, fd);
#endif
    for (size_t i = 0; code == 0 && i < launch->given_count; i++)
        code = keep(actions, (spork_native)launch->given_there[i]);
    for (size_t i = 0; code == 0 && i < launch->pass_count; i++) code = keep(actions, launch->pass[i]);
    return code;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
#ifdef __APPLE__
    flags |= POSIX_SPAWN_CLOEXEC_DEFAULT;
#endif
    sigemptyset(&none);
    sigfillset(&all);
    for (int number = 1; number < 32; number++) /* those stay ignored all the time */
        if (spork__os_ignored() & 1u << number) sigdelset(&all, number);
    int code = posix_spawnattr_setsigmask(attributes, &none);
    if (code == 0) code = posix_spawnattr_setsigdefault(attributes, &all);
    return code != 0 ? code : posix_spawnattr_setflags(attributes, flags);
}

static int spawn(const spork__launch *launch, const char *file, char **argv, char **environment,
                 int ack, int *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int code = SPORK__SYS_CODE(posix_spawn_file_actions_init(&actions));
    if (code != 0) return code;
    if ((code = SPORK__SYS_CODE(posix_spawnattr_init(&attributes))) == 0) {
        code = keep_all(&actions, launch, ack);
        if (code == 0) code = set_attributes(&attributes);
        if (code == 0)
            code = SPORK__SYS_CODE(posix_spawn(pid, file, &actions, &attributes, argv, environment));
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

/* By its descriptor, where it has no name; the child gets that, too. */
static int execute(const spork__launch *launch, char **argv, char **environment, int ack,
                   char *ours, size_t size, int *pid)
{
    spork__execution e = {spork__program_fd(), argv, environment, launch, ack};
    size_t length = strlen(ours);
    snprintf(ours + length - 2, size - length + 2, "%d", e.program); /* in the place of -1 */
    return spork__execute(&e, pid);
}

/* 0, or why not. */
static int start(const spork__launch *launch, const char *file, int ack, int *pid)
{
    char ours[128];
    char *argv[] = {(char *)(uintptr_t)(launch->executable != NULL ? launch->executable
                                                                   : spork__program_argv0()),
                    NULL};
    snprintf(ours, sizeof ours, "%s=%d:%d:%d:%016" PRIx64 ":-1", variable,
             (int)launch->record->handle, ack, (int)getpid(), launch->nonce);
    char **environment = make_environment(ours);
    if (environment == NULL) return ENOMEM;
    bool nameless = launch->executable == NULL && spork__program_is_nameless();
    int code = nameless ? execute(launch, argv, environment, ack, ours, sizeof ours, pid)
                        : spawn(launch, file, argv, environment, ack, pid);
    spork__free(environment);
    return code;
}

/* What can be done about it is said where it can be known. */
static spork_status cannot_start(const spork__launch *launch, int code)
{
    const char *file = launch->executable != NULL ? launch->executable : spork__os_program_path();
    if (file[0] == 0) file = "this program"; /* known by a descriptor alone */
    if (code == ENOMEM && spork__children_elsewhere()) return spork__fork_failed(code, file);
    if (code == ENOENT && launch->executable == NULL && spork__program_fd() >= 0)
        return spork__fail_os(
            code,
            "%s cannot be started from where this process is (chroot?): there is no /proc here, or "
            "not the loader and the libraries that it wants; SPORK_FORK needs none of them",
            file);
    if (code == E2BIG)
        return spork__fail_os(code, "%s cannot be started: its environment is too large", file);
    return spork__fail_os(code, "%s cannot be started", file);
}

static spork_status check_program(const spork__launch *launch, const char *file)
{
    if (file[0] == 0) return spork__fail(SPORK_UNSUPPORTED, "the file of this program cannot be found; use SPORK_FORK");
    if (launch->executable == NULL && !spork__program_is_ours())
        return spork__fail(SPORK_BAD_STATE,
                           "this program has closed descriptor %d, by which Spork knows its file; "
                           "use SPORK_FORK",
                           spork__program_fd());
    if (spork__os_is_privileged())
        return spork__fail(SPORK_UNSUPPORTED,
                           "a set-user-id or otherwise privileged program cannot be started anew: its "
                           "environment is not to be trusted; use SPORK_FORK");
    return SPORK_OK;
}

spork_status spork__os_spawn(const spork__launch *launch, spork__child *child)
{
    int ack[2] = {-1, -1}, pid = 0;
    spork__tie tie = {-1, -1};
    const char *file = launch->executable != NULL ? launch->executable : spork__program_file();
    *child = SPORK__NO_CHILD;
    spork_status status = spork__check_passed(launch);
    if (status == SPORK_OK) status = check_program(launch, file);
    if (status != SPORK_OK) return status;
    if (spork__fd_pipe(ack) != 0 ||
        spork__lifeline_for(launch->given[SPORK__GIVEN_LIFELINE], &tie) != 0) {
        status = spork__fail_os(errno, "no pipe for %s", launch->name);
    } else {
        for (size_t i = 0; i < launch->given_count; i++) launch->given_there[i] = launch->given[i];
        launch->given_there[SPORK__GIVEN_LIFELINE] = tie.own;
        int code = start(launch, file, ack[1], &pid);
        if (code != 0) status = cannot_start(launch, code);
    }
    spork__fd_close(ack[1]);
    if (status == SPORK_OK) {
        *child = (spork__child){pid, 0, spork__exit_open(pid), tie.leash, SPORK__NO_HANDLE, ack[0]};
        tie.leash = -1;
    } else
        spork__fd_close(ack[0]);
    spork__lifeline_drop(&tie);
    return status;
}

/* Only what it says is an answer, or that it says nothing any more: an error of the moment would have a child taken for dead that runs. */
static ssize_t read_ack(int fd, char *text, size_t size)
{
    for (int attempt = 0;; attempt++) {
        ssize_t n = SPORK__SYS(spork__sys_read(fd, text, size));
        if (n >= 0 || (errno != EINTR && attempt == 100)) return n;
        if (errno != EINTR) spork__os_sleep(1);
    }
}

spork__ack spork__os_await(spork__child *child, int timeout_ms, char *message, size_t size)
{
    /* Its end alone would do where the other end of the pipe is in its hands only; the look at the process itself is for the case
     * that it leaked. What it said before it died is read first. */
    int ready = spork__fd_wait((int)child->ack, (int)child->handle, timeout_ms);
    if (ready == 0) return SPORK__ACK_TIMEOUT;
    char text[512];
    ssize_t n = 0;
    if (ready & 1 || spork__fd_wait((int)child->ack, -1, 0) != 0)
        n = read_ack((int)child->ack, text, sizeof text - 1);
    spork__os_lock(SPORK__LOCK_START); /* no fork between the two: it would copy the descriptor, but not its number */
    child->ack = spork__fd_close((int)child->ack);
    spork__os_unlock(SPORK__LOCK_START);
    if (n <= 0) return SPORK__ACK_DIED;
    text[n] = 0;
    snprintf(message, size, "%s", text + 1);
    return text[0] == '+' ? SPORK__ACK_OK : SPORK__ACK_REFUSED;
}

/* ---- the child's side ---- */

static bool is_pipe(int fd)
{
    struct stat about;
    return fstat(fd, &about) == 0 && S_ISFIFO(about.st_mode);
}

static bool is_block(int fd)
{
    spork__block record;
    if (spork__os_block_open(&record, fd, 0) != SPORK_OK) return false;
    spork__os_block_abandon(&record, false); /* the descriptor may not be ours to close */
    return true;
}

/* We have another parent than the one that made us: did that one die meanwhile? Then nobody reads what we acknowledge, and the record is
 * there. Who only inherited the variable, as a program that a child's constructors run, finds a reader, or no such descriptors. */
static bool is_orphan(int record_fd, int ack_fd)
{
    struct pollfd ack = {.fd = ack_fd, .events = POLLOUT};
    if (!is_pipe(ack_fd)) return false;
    if (SPORK__SYS(spork__sys_poll(&ack, 1, 0)) != 1 || !(ack.revents & (POLLERR | POLLHUP)))
        return false;
    return is_block(record_fd);
}

spork_status spork__os_bootstrap(spork__block *record, spork_native *ack, uint64_t *nonce)
{
    int record_fd, ack_fd, parent, program;
    const char *value = getenv(variable);
    if (value == NULL) return SPORK_NOT_FOUND;
    int fields =
        sscanf(value, "%d:%d:%d:%" SCNx64 ":%d", &record_fd, &ack_fd, &parent, nonce, &program);
    unsetenv(variable); /* it is not for those whom this process starts */
    if (fields != 5 || spork__os_is_privileged()) return SPORK_NOT_FOUND;
    if (parent != (int)getppid()) {
        if (is_orphan(record_fd, ack_fd)) spork__os_exit(1); /* else main() would run as if a user had called it */
        if (getppid() != 0 || !is_pipe(ack_fd) || !is_block(record_fd)) return SPORK_NOT_FOUND;
        /* Its parent is in another pid namespace: only the process that it has made itself sees
         * nobody there. */
    }
    if (program > 2) spork__program_given(program);
    fcntl(record_fd, F_SETFD, FD_CLOEXEC);
    fcntl(ack_fd, F_SETFD, FD_CLOEXEC);
    *ack = ack_fd;
#ifdef __linux__
    prctl(PR_SET_NAME, program_invocation_short_name); /* it was executed as /proc/self/fd/N: ps would show "N" */
#endif
    spork_status status = spork__os_block_open(record, record_fd, 0);
    if (status != SPORK_OK) {
        spork__os_acknowledge(*ack, spork_error());
        spork__os_exit(1);
    }
    return SPORK_OK;
}

void spork__os_acknowledge(spork_native ack, const char *message)
{
    char text[512];
    if (ack == SPORK__NO_HANDLE) return;
    int n = snprintf(text, sizeof text, "%c%s", message == NULL ? '+' : '-', message == NULL ? "" : message);
    /* shorter than PIPE_BUF: whole or not at all; and a parent that does not hear of it takes us for dead */
    if (spork__fd_write((int)ack, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1) != 0) spork__os_exit(1);
    spork__fd_close((int)ack);
}
