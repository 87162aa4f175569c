#ifdef _WIN32
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00
#endif
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#endif
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "security.h"

enum { HEAD = 4096, NAME = 64 };

/* As src/shm.c has it. */
typedef struct head {
    uint32_t magic, layout;
    uint64_t size;
    char name[NAME + 1];
} head;

static head head_of(const char *name)
{
    head h;
    memset(&h, 0, sizeof h);
    h.magic = 0x4D485353;
    h.layout = 1;
    h.size = HEAD;
    snprintf(h.name, sizeof h.name, "%s", name);
    return h;
}

/* ---- targets ---- */

#ifndef _WIN32
/* Whether that file has the text; zeros are part of it. */
static bool file_tells(const char *path, const char *text)
{
    char bytes[65536];
    size_t length = strlen(text), used = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t n; fd >= 0 && used < sizeof bytes && (n = read(fd, bytes + used, sizeof bytes - used)) > 0;) used += (size_t)n;
    if (fd >= 0) close(fd);
    for (size_t i = 0; i + length <= used; i++)
        if (memcmp(bytes + i, text, length) == 0) return true;
    return false;
}

static bool told(const char *secret)
{
    extern char **environ;
    for (char **e = environ; *e != NULL; e++)
        if (strstr(*e, secret) != NULL) return true;
    return file_tells("/proc/self/cmdline", secret) || file_tells("/proc/self/environ", secret);
}
#else
static bool told(const char *secret)
{
    wchar_t wide[200];
    MultiByteToWideChar(CP_UTF8, 0, secret, -1, wide, 200);
    wchar_t *all = GetEnvironmentStringsW();
    bool found = wcsstr(GetCommandLineW(), wide) != NULL || all == NULL;
    for (wchar_t *at = all; at != NULL && *at != 0; at += wcslen(at) + 1) found = found || wcsstr(at, wide) != NULL;
    FreeEnvironmentStringsW(all);
    return found;
}
#endif

int security_keep(const spork_args *args)
{
    const char *secret;
    harness_end *writer, *reader;
    char byte;
    if (spork_unpack(args, &secret, harness_take(&writer), harness_take(&reader)) != SPORK_OK) return 1;
    if (told(secret)) return 2;
    if (!harness_write(writer, "x", 1)) return 3;
    return harness_read(reader, &byte, 1) == 0 ? 0 : 4;
}

int security_wait(const spork_args *args)
{
    harness_end *reader;
    char byte;
    if (spork_unpack(args, harness_take(&reader)) != SPORK_OK) return 1;
    return harness_read(reader, &byte, 1) == 0 ? 0 : 2;
}

int security_variable(const spork_args *args)
{
    static const char name[] = "SPORK_BOOTSTRAP";
    harness_end *writer;
    if (spork_unpack(args, harness_take(&writer)) != SPORK_OK) return 1;
    if (getenv(name) != NULL) return 2;
#ifdef __linux__
    char bytes[65536];
    FILE *f = fopen("/proc/self/environ", "re"); /* as the system gave it */
    size_t used = f != NULL ? fread(bytes, 1, sizeof bytes - 1, f) : 0;
    if (f != NULL) fclose(f);
    bytes[used] = 0;
    for (size_t i = 0; i < used; i += strlen(bytes + i) + 1)
        if (strncmp(bytes + i, name, sizeof name - 1) == 0 && !harness_write(writer, bytes + i, strlen(bytes + i))) return 3;
#endif
    return 0;
}

/* ---- attackers ---- */

#ifndef _WIN32
struct security_attacker {
    int pid, bites, end; /* it lives as long as `end` is open */
};

static bool become(unsigned uid)
{
    if (uid == geteuid()) return true;
    return setgroups(0, NULL) == 0 && setgid(uid) == 0 && setuid(uid) == 0;
}

bool security_forge(const char *path, const char *name, unsigned uid)
{
    char page[HEAD] = {0};
    head h = head_of(name);
    memcpy(page, &h, sizeof h);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, page, HEAD) == HEAD && ftruncate(fd, 2 * HEAD) == 0;
    ok = ok && (uid == geteuid() || fchown(fd, uid, uid) == 0);
    if (fd >= 0) close(fd);
    return ok;
}

typedef struct deed {
    security_bait bait;
    const char *path, *name, *target, *begin;
} deed;

/* A descriptor that tells of bites, -2: there are none to tell of; -1: it failed. */
static int plant(const deed *d)
{
    umask(0);
    switch (d->bait) {
    case SECURITY_FILE: return security_forge(d->path, d->name, geteuid()) && chmod(d->path, 0666) == 0 ? -2 : -1;
    case SECURITY_LINK: return symlink(d->target, d->path) == 0 ? -2 : -1;
    case SECURITY_FIFO: return mkfifo(d->path, 0666) == 0 ? open(d->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    }
    return -1;
}

#ifdef __linux__
static int pose(const deed *d)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = -2, n;
    if (d->target != NULL && (fd = open(d->target, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) < 0)
        fd = open(d->target, O_PATH | O_CLOEXEC); /* no right to it is needed for that */
    if (fd == -1) return -1;
    if (fd >= 0)
        n = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s/%d/%d", d->begin, (int)getpid(), fd);
    else
        n = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s", d->begin);
    int end = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    return end >= 0 && bind(end, (struct sockaddr *)&address, size) == 0 ? fd : -1;
}
#else
static int pose(const deed *d) { return (void)d, -1; }
#endif

/* Runs in the fork: says "r" when it is ready and "b" at the first bite, until the other end is closed. */
static void attack(unsigned uid, const deed *d, int say, int hear)
{
    int watch = !become(uid) ? -1 : d->begin != NULL ? pose(d) : plant(d);
    if (watch == -1 || write(say, "r", 1) != 1) _exit(1);
    struct pollfd fds[2] = {{.fd = hear, .events = POLLIN}, {.fd = watch < 0 ? -1 : watch, .events = POLLIN}};
    while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
        if (fds[0].revents != 0) break;
        if (fds[1].revents == 0) continue;
        if (write(say, "b", 1) != 1) break; /* its writer has come and gone: POLLHUP */
        fds[1].fd = -1;
    }
    if (d->path != NULL) unlink(d->path);
    _exit(0);
}

static security_attacker *begin(unsigned uid, const deed *d)
{
    int from[2], to[2];
    char byte;
    if (pipe(from) != 0 || pipe(to) != 0) abort();
    for (int i = 0; i < 2; i++) {
        fcntl(from[i], F_SETFD, FD_CLOEXEC);
        fcntl(to[i], F_SETFD, FD_CLOEXEC);
    }
    int pid = fork();
    if (pid == 0) {
        close(from[0]);
        close(to[1]);
        attack(uid, d, from[1], to[0]);
    }
    close(from[1]);
    close(to[0]);
    security_attacker *a = calloc(1, sizeof *a);
    if (a == NULL || pid < 0) abort();
    *a = (security_attacker){pid, from[0], to[1]};
    if (read(a->bites, &byte, 1) == 1) return a;
    security_free(a);
    return NULL;
}

security_attacker *security_plant(unsigned uid, security_bait bait, const char *path, const char *name, const char *target)
{
    return begin(uid, &(deed){.bait = bait, .path = path, .name = name, .target = target});
}

security_attacker *security_pose(unsigned uid, const char *begin_of_name, const char *target)
{
    return begin(uid, &(deed){.begin = begin_of_name, .target = target});
}

bool security_bitten(security_attacker *a, int ms)
{
    struct pollfd p = {.fd = a->bites, .events = POLLIN};
    return poll(&p, 1, ms) > 0 && p.revents & POLLIN;
}

void security_free(security_attacker *a)
{
    if (a == NULL) return;
    close(a->end);
    while (waitpid(a->pid, NULL, 0) < 0 && errno == EINTR) {}
    close(a->bites);
    free(a);
}

int security_leaking(const int *but, int count)
{
    int list[1024], n = harness_descriptors(list, 1024);
    for (int i = 0; i < n && i < 1024; i++) {
        bool known = list[i] < 3;
        for (int k = 0; k < count; k++) known = known || but[k] == list[i];
        int flags = fcntl(list[i], F_GETFD);
        if (!known && flags >= 0 && (flags & FD_CLOEXEC) == 0) return list[i];
    }
    return -1;
}
#endif

/* ---- what a process can be reached by ---- */

#ifdef __linux__
static bool opens(const char *path, int flags)
{
    int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static bool gives_bytes(const char *path)
{
    char byte;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && read(fd, &byte, 1) == 1; /* maps and environ may be opened and then say nothing */
    if (fd >= 0) close(fd);
    return ok;
}

static bool can_take(int pid)
{
#ifdef SYS_pidfd_getfd
    int process = (int)syscall(SYS_pidfd_open, pid, 0);
    int fd = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, 1, 0);
    if (process >= 0) close(process);
    if (fd >= 0) close(fd);
    return fd >= 0;
#else
    return (void)pid, false;
#endif
}

static int doors(int pid)
{
    static int any; /* a forked child has it at the same place */
    char path[64], byte[sizeof any];
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    if (dir != NULL) found |= SECURITY_LIST, closedir(dir);
    for (int fd = 0; fd < 100; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
        if (opens(path, O_RDONLY) || opens(path, O_WRONLY) || opens(path, O_RDWR) || opens(path, O_PATH)) found |= SECURITY_OPEN;
    }
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    if (opens(path, O_RDONLY)) found |= SECURITY_MEMORY;
    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    if (gives_bytes(path)) found |= SECURITY_ENVIRON;
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    if (gives_bytes(path)) found |= SECURITY_MAPS;
    struct iovec here = {byte, sizeof byte}, there = {&any, sizeof any};
    if (process_vm_readv(pid, &here, 1, &there, 1, 0) > 0) found |= SECURITY_READ;
    if (can_take(pid)) found |= SECURITY_TAKE;
    if (kill(pid, 0) == 0) found |= SECURITY_SIGNAL;
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0) found |= SECURITY_TRACE; /* over with this process' end */
    return found;
}

int security_doors(int pid, unsigned uid)
{
    int answer[2], found = -1;
    if (pipe(answer) != 0) return -1;
    int child = fork();
    if (child == 0) {
        found = become(uid) ? doors(pid) : -1;
        _exit(write(answer[1], &found, sizeof found) == sizeof found ? 0 : 1);
    }
    close(answer[1]);
    if (child < 0 || read(answer[0], &found, sizeof found) != sizeof found) found = -1;
    close(answer[0]);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
    return found;
}

static int parent_of(int pid)
{
    char path[64], line[512];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (f == NULL) return 0;
    const char *after = fgets(line, sizeof line, f) != NULL ? strrchr(line, ')') : NULL;
    if (after != NULL) sscanf(after, ") %*c %d", &parent);
    fclose(f);
    return parent;
}

static bool descends(int pid)
{
    for (int depth = 0; pid > 1 && depth < 20; depth++)
        if ((pid = parent_of(pid)) == (int)getpid()) return true;
    return false;
}

int security_descendants(int *pids, int room)
{
    int count = 0;
    DIR *dir = opendir("/proc");
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        int pid = (int)strtol(e->d_name, NULL, 10);
        if (pid > 0 && count < room && descends(pid)) pids[count++] = pid;
    }
    if (dir != NULL) closedir(dir);
    return count;
}

bool security_told(const char *text)
{
    bool found = false;
    DIR *dir = opendir("/proc");
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        char path[64];
        int pid = (int)strtol(e->d_name, NULL, 10);
        if (pid <= 0) continue;
        snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
        found = found || file_tells(path, text);
        snprintf(path, sizeof path, "/proc/%d/environ", pid);
        found = found || file_tells(path, text);
    }
    if (dir != NULL) closedir(dir);
    return found;
}

int security_blocks(int *shortened)
{
    int list[1024], n = harness_descriptors(list, 1024), blocks = 0;
    *shortened = 0;
    for (int i = 0; i < n && i < 1024; i++) {
        char path[64], what[200];
        struct stat about;
        snprintf(path, sizeof path, "/proc/self/fd/%d", list[i]);
        ssize_t length = readlink(path, what, sizeof what - 1);
        what[length > 0 ? length : 0] = 0;
        if (strncmp(what, "/memfd:spork", 12) != 0 || fstat(list[i], &about) != 0) continue;
        blocks++;
        if (ftruncate(list[i], about.st_size - 1) == 0) (*shortened)++;
    }
    return blocks;
}

int security_sockets(int *named)
{
    int list[1024], n = harness_descriptors(list, 1024), sockets = 0;
    *named = 0;
    for (int i = 0; i < n && i < 1024; i++) {
        struct sockaddr_un address;
        socklen_t size = sizeof address;
        memset(&address, 0, sizeof address);
        if (getsockname(list[i], (struct sockaddr *)&address, &size) != 0 || address.sun_family != AF_UNIX) continue;
        sockets++;
        if (size > sizeof address.sun_family && strncmp(address.sun_path + 1, "spork-shm", 9) != 0) (*named)++;
    }
    return sockets;
}
#endif

/* ---- programs ---- */

static int quiet(const spork_args *args, spork_task *task)
{
    const char *secret;
    (void)task;
    return spork_unpack(args, &secret) == SPORK_OK && secret[0] != 0 ? 0 : 1;
}

int security_scenario_trace(const char *file)
{
#ifndef _WIN32
    umask(0);
    int before[256], count = harness_descriptors(before, 256);
#else
    int count = security_inheritable();
#endif
    harness_setenv("SPORK_TRACE", file);
    SPORK_MUST(spork_init(0, NULL));
    spork_pool *pool = spork_pool_new(1);
    if (spork_pool_apply(pool, quiet, spork_pack("open sesame"), NULL, harness_patience_ms()) != SPORK_OK) return 1;
#ifndef _WIN32
    int leak = security_leaking(before, count < 256 ? count : 256);
#else
    int leak = security_inheritable() - count - 1; /* -1: as many as before */
#endif
    SPORK_MUST(spork_pool_shutdown(pool, harness_patience_ms()));
    spork_pool_free(pool);
    if (leak < 0)
        printf("private\n");
    else
        printf("descriptor %d leaks\n", leak);
    return 0;
}

/* ---- Windows ---- */

#ifdef _WIN32
const char *security_wrong_list(security_shape shape, const char *name, spork_native handle)
{
    static union {
        SECURITY_DESCRIPTOR descriptor;
        char room[1000];
    } about;
    static union {
        TOKEN_USER user;
        char room[200];
    } token;
    char path[128];
    HANDLE object = (HANDLE)handle, own;
    DWORD size;
    PSID owner;
    PACL list;
    BOOL there, defaulted;
    ACCESS_ALLOWED_ACE *entry;
    snprintf(path, sizeof path, "Local\\spork-shm-%s", name != NULL ? name : "");
    if (shape == SECURITY_SECTION && (object = OpenFileMappingA(READ_CONTROL, FALSE, path)) == NULL) return "there is none";
    bool ok = GetKernelObjectSecurity(object, OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION, &about, sizeof about, &size);
    if (shape == SECURITY_SECTION) CloseHandle(object);
    if (!ok || !OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &own)) return "it says nothing";
    ok = GetTokenInformation(own, TokenUser, &token, sizeof token, &size);
    CloseHandle(own);
    if (!ok || !GetSecurityDescriptorOwner(&about, &owner, &defaulted) || !EqualSid(owner, token.user.User.Sid)) return "the owner is another";
    if (!GetSecurityDescriptorDacl(&about, &there, &list, &defaulted) || !there || list == NULL) return "there is no list: everybody may";
    if (list->AceCount != 1) return "the list has not one entry";
    if (!GetAce(list, 0, (void **)&entry) || entry->Header.AceType != ACCESS_ALLOWED_ACE_TYPE || !EqualSid(&entry->SidStart, token.user.User.Sid))
        return "the entry is another's";
    return "";
}

void *security_pose_section(const char *name)
{
    char path[128];
    SID_IDENTIFIER_AUTHORITY authority = {SECURITY_NT_AUTHORITY};
    SECURITY_DESCRIPTOR descriptor;
    PSID administrators;
    head h = head_of(name);
    snprintf(path, sizeof path, "Local\\spork-shm-%s", name);
    if (!AllocateAndInitializeSid(&authority, 2, SECURITY_BUILTIN_DOMAIN_RID, DOMAIN_ALIAS_RID_ADMINS, 0, 0, 0, 0, 0, 0, &administrators)) return NULL;
    InitializeSecurityDescriptor(&descriptor, SECURITY_DESCRIPTOR_REVISION);
    SetSecurityDescriptorOwner(&descriptor, administrators, FALSE);
    SetSecurityDescriptorDacl(&descriptor, TRUE, NULL, FALSE);
    SECURITY_ATTRIBUTES attributes = {sizeof attributes, &descriptor, FALSE};
    HANDLE section = CreateFileMappingA(INVALID_HANDLE_VALUE, &attributes, PAGE_READWRITE, 0, 2 * HEAD, path);
    FreeSid(administrators);
    void *data = section != NULL ? MapViewOfFile(section, FILE_MAP_WRITE, 0, 0, 0) : NULL;
    if (data == NULL) return NULL;
    memcpy(data, &h, sizeof h);
    UnmapViewOfFile(data);
    return section;
}

void security_close(void *handle) { CloseHandle(handle); }

int security_inheritable(void)
{
    int count = 0;
    for (uintptr_t at = 4; at < 8192; at += 4) {
        DWORD flags = 0;
        if (GetHandleInformation((HANDLE)at, &flags) && flags & HANDLE_FLAG_INHERIT) count++;
    }
    return count;
}
#endif
