#include "os.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if SPORK_HAVE_SYS_AUXV
#include <sys/auxv.h>
#endif
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif


static struct {
    int fd; /* Linux: on the program file, which may be replaced or deleted meanwhile */
    spork__file which;
    char file[40];
} program = {.fd = -1};
/* Not allocated: a plug-in's copy of the library may be unloaded, and nobody would free them. */
static char program_path[1024], program_argv0[1024];

const char *spork__program_file(void) { return program.fd >= 0 ? program.file : program_path; }
int spork__program_fd(void) { return program.fd; }
const char *spork__program_argv0(void) { return program_argv0[0] != 0 ? program_argv0 : program_path; }
const char *spork__os_program_path(void) { return program_path; }

static void remember_descriptor(int fd)
{
    if (program.fd != fd) spork__fd_close(program.fd);
    program.fd = fd;
    if (fd >= 0) spork__file_note(fd, &program.which);
    if (fd >= 0) snprintf(program.file, sizeof program.file, "/proc/self/fd/%d", fd);
}

bool spork__program_is_ours(void)
{
    return program.fd < 0 || spork__file_is(program.fd, &program.which);
}

bool spork__program_is_nameless(void)
{
    struct stat about;
    if (program.fd < 0) return false;
    return stat(program.file, &about) != 0 || (uint64_t)about.st_ino != program.which.inode ||
           (uint64_t)about.st_dev != program.which.device;
}

void spork__program_given(int fd) { remember_descriptor(spork__fd_cloexec(fd)); }

void spork__program_moved(int fd)
{
    if (fd != program.fd) remember_descriptor(fd);
}

#if !defined(__APPLE__)
/* A program that the loader was called to run (ld.so PROGRAM): what this process executes is the
 * loader, then. NULL: it is not so. */
static const char *run_by_loader(void)
{
#if SPORK_HAVE_SYS_AUXV && defined(AT_EXECFN)
    struct stat about;
    bool hidden = stat("/proc/self/exe", &about) != 0; /* or there is no /proc to say what it is */
    if (!hidden && (getauxval(AT_BASE) != 0 || !spork__image_is_library("/proc/self/exe")))
        return NULL;
    return (const char *)getauxval(AT_EXECFN);
#else
    return NULL;
#endif
}

static void remember_file(const char *file)
{
    char real[PATH_MAX];
    program_path[0] = 0;
    if (!spork__image_is_program(file)) return;
    remember_descriptor(spork__fd_private(spork__fd_open(file, O_RDONLY)));
    if (realpath(file, real) != NULL && strlen(real) < sizeof program_path)
        memcpy(program_path, real, strlen(real) + 1);
}
#endif

spork_status spork__os_remember_program(const char *argv0)
{
    char *path = program_path;
    if (argv0 != NULL && strlen(argv0) < sizeof program_argv0) memcpy(program_argv0, argv0, strlen(argv0) + 1);
#ifdef __APPLE__
    uint32_t size = sizeof program_path;
    if (_NSGetExecutablePath(path, &size) != 0) return spork__fail(SPORK_TOO_LARGE, "the program's path is too long");
#else
    const char *file = run_by_loader();
    ssize_t n = readlink("/proc/self/exe", path, sizeof program_path - 1);
    path[n > 0 ? n : 0] = 0;
    if (file != NULL && program.fd < 0) remember_file(file);
    if (file != NULL && program.fd >= 0) return SPORK_OK;
    /* Not the path: a file put in its place would be another program. And not /proc/self/exe itself at the time of a start:
     * under valgrind that is valgrind. */
    int fd = spork__fd_private(spork__fd_open("/proc/self/exe", O_RDONLY));
    if (fd >= 0 || program.fd < 0) remember_descriptor(fd);
    if (program.fd < 0 && argv0 != NULL && path[0] == 0) {
        char real[PATH_MAX];
        if (realpath(argv0, real) != NULL && strlen(real) < sizeof program_path) memcpy(path, real, strlen(real) + 1);
    }
#endif
    return SPORK_OK; /* without a program file only fork works; spawn says so */
}

int spork__os_own_descriptors(int *list, int room)
{
    int all[5], count = spork__lifeline_descriptors(all);
    if (spork__relay_pipe >= 0) all[count++] = spork__relay_pipe;
    if (program.fd >= 0) all[count++] = program.fd;
    for (int i = 0; i < count && i < room; i++) list[i] = all[i];
    return count;
}

bool spork__os_is_privileged(void)
{
#if SPORK_HAVE_SYS_AUXV
    return getauxval(AT_SECURE) != 0;
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__NetBSD__)
    return issetugid() != 0;
#else
    return getuid() != geteuid() || getgid() != getegid();
#endif
}

const char *spork__os_getenv(const char *name) { return spork__os_is_privileged() ? NULL : getenv(name); }

bool spork__os_file_exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

void spork__os_write_error(const char *text, size_t size) { spork__fd_write(2, text, size); }

void spork__os_exit(int code) { _exit(code); }

void spork__os_kill_self(void)
{
    kill(getpid(), SIGKILL);
    for (;;) spork__sys_pause();
}

void spork__os_stop_self(void) { kill(getpid(), SIGSTOP); }

#if defined(__GNUC__) && defined(__ELF__)
extern void __gcov_dump(void) __attribute__((weak));
extern void __gcov_exit(void) __attribute__((weak));
extern int __llvm_profile_write_file(void) __attribute__((weak));
extern void __lsan_do_leak_check(void) __attribute__((weak));
#endif

void spork__os_exit_hooks(bool forked)
{
    /* _exit skips what these tools registered with atexit. In a forked child the leak checker is left out: the memory that only
     * the parent's other threads refer to would look lost. */
#if defined(__GNUC__) && defined(__ELF__)
    if (__gcov_dump != NULL)
        __gcov_dump();
    else if (__gcov_exit != NULL) /* what gcc links anyway; a weak wish for the other does not bring it out of its archive */
        __gcov_exit();
    if (__llvm_profile_write_file != NULL) __llvm_profile_write_file();
    if (__lsan_do_leak_check != NULL && !forked) __lsan_do_leak_check();
#else
    (void)forked;
#endif
}

#if SPORK_HAVE_ON_EXIT
static void (*at_exit)(int code);

static void call_at_exit(int code, void *unused)
{
    (void)unused;
    at_exit(code);
}

void spork__os_on_exit(void (*fn)(int code))
{
    at_exit = fn;
    on_exit(call_at_exit, NULL);
}
#else
/* exit() would take back what the parent has read of the input that both have. */
void spork__os_on_exit(void (*fn)(int code))
{
    (void)fn;
    spork__stdin_drop();
}
#endif

/* ---- errors ---- */

const char *spork__os_error_text(int64_t code, char *buffer, size_t size)
{
    snprintf(buffer, size, "%s", strerror((int)code));
    return buffer;
}

spork_status spork__os_status(int64_t code)
{
    switch (code) {
    case ENOMEM: return SPORK_NO_MEMORY;
    case ENOSPC:
    case EAGAIN: /* of fork: too many processes */
    case ETOOMANYREFS: /* descriptors in messages that nobody has received */
    case EMFILE:
    case ENFILE:
    case EDQUOT: return SPORK_NO_SPACE;
    case EACCES:
    case EPERM: return SPORK_DENIED;
    case ENOENT: return SPORK_NOT_FOUND;
    case EEXIST: return SPORK_EXISTS;
    case EPIPE:
    case ECONNRESET: return SPORK_CLOSED;
    case ENOSYS:
    case EOPNOTSUPP: return SPORK_UNSUPPORTED;
    case EFBIG: return SPORK_TOO_LARGE;
    default: return SPORK_OS_ERROR;
    }
}
