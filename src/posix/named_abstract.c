/* Linux: names that end with their process, however it ends, and are in no file system. They are those of two sockets (abstract, unix(7)),
 * which nobody uses as such: the first is there for its name, which only one can have; the second one's name tells where the memory
 * is to be found, as /proc/PID/fd/NUMBER. The kernel lists them in /proc/net/unix. */
#include "os.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "named_abstract.h"

enum { NAME = 107 };

static void name_of(char text[NAME], const char *name)
{
    snprintf(text, NAME, "spork-shm/%u/%s", (unsigned)geteuid(), name);
}

static int bind_name(const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(text);
    int fd = spork__fd_private(SPORK__SYS(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
    if (fd < 0) return -1;
    memcpy(address.sun_path + 1, text, length);
    if (SPORK__SYS(bind(fd, (struct sockaddr *)&address,
                        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length))) == 0)
        return fd;
    int code = errno;
    spork__fd_close(fd);
    errno = code;
    return -1;
}

spork_status spork__owned_reserve(const char *name, spork__claim *claim)
{
    char text[NAME];
    name_of(text, name);
    int fd = bind_name(text);
    if (fd < 0 && errno == EADDRINUSE) return spork__fail(SPORK_EXISTS, "%s exists: a process has it", name);
    if (fd < 0) return spork__fail_os(errno, "the name %s", name);
    claim->handles[0] = fd;
    return SPORK_OK;
}

spork_status spork__owned_new(spork__block *block, size_t size, const char *name, const void *head, size_t head_size,
                              spork__claim *claim)
{
    char text[NAME], where[NAME];
    spork_status status = spork__os_block_new(block, size);
    if (status == SPORK_OK) {
        memcpy(block->data, head, head_size);
        name_of(text, name);
        if (snprintf(where, sizeof where, "%s/%d/%d", text, (int)getpid(), (int)block->handle) >= NAME ||
            (claim->handles[1] = bind_name(where)) < 0) {
            status = spork__fail_os(errno, "the name %s", name);
            spork__os_block_free(block);
        }
    }
    if (status != SPORK_OK) spork__os_named_retract(claim);
    return status;
}

/* What that name tells of, if it is a block of this user's. Anybody may have bound a name that looks like ours, and what it tells of may
 * be anything: a device, say, that does something when it is opened. So it is looked at before (O_PATH): memory of ours has this owner
 * and no place in any file system. -1 with errno. */
static int open_block(int pid, int number)
{
    char path[64];
    struct stat about;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, number);
    int seen = spork__fd_private(spork__fd_open(path, O_PATH)), fd = -1;
    if (seen < 0) {
        if (errno == ESRCH) errno = ENOENT; /* it has just ended */
        return -1;
    }
    int code = EACCES;
    if (SPORK__SYS(fstat(seen, &about)) == 0 && S_ISREG(about.st_mode) && about.st_uid == geteuid() && about.st_nlink == 0) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", seen);
        fd = spork__fd_private(spork__fd_open(path, O_RDWR));
        code = errno;
    }
    spork__fd_close(seen);
    errno = code;
    return fd;
}

/* "/812", and nothing that is not such a number. */
static bool take_number(const char **at, int *number)
{
    if (**at != '/' || (*at)[1] < '0' || (*at)[1] > '9') return false;
    char *end;
    errno = 0;
    long value = strtol(*at + 1, &end, 10);
    if (errno != 0 || value > INT_MAX) return false;
    *number = (int)value;
    *at = end;
    return true;
}

static const char *address_in(const char *line) { return strstr(line, " @spork-shm/"); }

/* "0000…: 00000002 00000000 00000000 0002 01 12345 @spork-shm/0/name/812/7" */
bool spork__owned_parse(const char *line, const char *name, int *pid, int *number)
{
    size_t length = strlen(name);
    const char *at = address_in(line);
    if (at == NULL || strncmp(at + 2, name, length) != 0) return false;
    at += 2 + length;
    return take_number(&at, pid) && take_number(&at, number) && (*at == 0 || *at == '\n');
}

/* What a line tells, and by what its socket is known among all that have had that name: its inode, which stands before it. */
typedef struct sign {
    unsigned long inode;
    int pid, number;
} sign;

static bool read_sign(const char *line, const char *text, sign *s)
{
    if (!spork__owned_parse(line, text, &s->pid, &s->number)) return false;
    const char *at = address_in(line);
    while (at > line && at[-1] >= '0' && at[-1] <= '9') at--;
    s->inode = strtoul(at, NULL, 10);
    return true;
}

/* The block's descriptor is open as long as that very socket is. Where it is not there any more, the number may have been another
 * descriptor's when we opened it. */
static bool is_there_still(const char *text, const sign *before)
{
    char line[512];
    bool found = false;
    sign s;
    FILE *f = spork__sys_fopen("/proc/net/unix", "re");
    while (f != NULL && !found && spork__sys_fgets(line, sizeof line, f) != NULL)
        found = read_sign(line, text, &s) && s.inode == before->inode;
    if (f != NULL) spork__sys_fclose(f);
    return found;
}

/* `changed`: it came or went meanwhile. */
static int look(const char *text, bool *changed)
{
    char line[512];
    int fd = -1, code = ENOENT;
    sign s;
    FILE *f = spork__sys_fopen("/proc/net/unix", "re");
    *changed = false;
    while (f != NULL && fd < 0 && spork__sys_fgets(line, sizeof line, f) != NULL) {
        if (!read_sign(line, text, &s)) continue;
        fd = open_block(s.pid, s.number);
        int refused = errno;
        if (is_there_still(text, &s)) {
            if (fd < 0 && refused != ENOENT) code = refused;
            continue;
        }
        fd = spork__fd_close(fd);
        *changed = true;
    }
    if (f != NULL) spork__sys_fclose(f);
    errno = code;
    return fd;
}

int spork__owned_open(const char *name)
{
    enum { ATTEMPTS = 10 }; /* of a name that comes and goes it may be said that it is not there */
    char text[NAME];
    bool changed = true;
    int fd = -1;
    name_of(text, name);
    for (int i = 0; i < ATTEMPTS && fd < 0 && changed; i++) fd = look(text, &changed);
    return fd;
}
