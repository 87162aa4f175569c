#include "os.h"

#include <stdarg.h>

/* Where a cancellation is pending it stays so: it acts at the next point. */
#define UNCANCELLED(type, call)                                                                    \
    do {                                                                                           \
        int before;                                                                                \
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);                                   \
        type result = call;                                                                        \
        pthread_setcancelstate(before, &before);                                                   \
        return result;                                                                             \
    } while (0)

/* Whether a mode comes with these flags. */
static bool makes(int flags)
{
#ifdef O_TMPFILE
    if ((flags & O_TMPFILE) == O_TMPFILE) return true;
#endif
    return (flags & O_CREAT) != 0;
}

int spork__sys_open(const char *path, int flags, ...)
{
    int mode = 0;
    va_list ap;
    va_start(ap, flags);
    if (makes(flags)) mode = va_arg(ap, int);
    va_end(ap);
    UNCANCELLED(int, open(path, flags, (mode_t)mode));
}

int spork__sys_openat(int directory, const char *path, int flags, ...)
{
    int mode = 0;
    va_list ap;
    va_start(ap, flags);
    if (makes(flags)) mode = va_arg(ap, int);
    va_end(ap);
    UNCANCELLED(int, openat(directory, path, flags, (mode_t)mode));
}

int spork__sys_close(int fd) { UNCANCELLED(int, close(fd)); }

ssize_t spork__sys_read(int fd, void *data, size_t size)
{
    UNCANCELLED(ssize_t, read(fd, data, size));
}
ssize_t spork__sys_write(int fd, const void *data, size_t size)
{
    UNCANCELLED(ssize_t, write(fd, data, size));
}
ssize_t spork__sys_writev(int fd, const struct iovec *pieces, int count)
{
    UNCANCELLED(ssize_t, writev(fd, pieces, count));
}
ssize_t spork__sys_recv(int fd, void *data, size_t size, int flags)
{
    UNCANCELLED(ssize_t, recv(fd, data, size, flags));
}
ssize_t spork__sys_recvmsg(int fd, struct msghdr *message, int flags)
{
    UNCANCELLED(ssize_t, recvmsg(fd, message, flags));
}
ssize_t spork__sys_sendmsg(int fd, const struct msghdr *message, int flags)
{
    UNCANCELLED(ssize_t, sendmsg(fd, message, flags));
}
int spork__sys_pause(void) { UNCANCELLED(int, pause()); }

pid_t spork__sys_waitpid(pid_t pid, int *status, int options)
{
    UNCANCELLED(pid_t, waitpid(pid, status, options));
}
pid_t spork__sys_wait4(pid_t pid, int *status, int options, struct rusage *used)
{
    UNCANCELLED(pid_t, wait4(pid, status, options, used));
}
int spork__sys_waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
    UNCANCELLED(int, waitid(type, id, info, options));
}
int spork__sys_pthread_join(pthread_t thread, void **value)
{
    UNCANCELLED(int, pthread_join(thread, value));
}

DIR *spork__sys_opendir(const char *path) { UNCANCELLED(DIR *, opendir(path)); }
struct dirent *spork__sys_readdir(DIR *directory)
{
    UNCANCELLED(struct dirent *, readdir(directory));
}
int spork__sys_closedir(DIR *directory) { UNCANCELLED(int, closedir(directory)); }

FILE *spork__sys_fopen(const char *path, const char *mode)
{
    UNCANCELLED(FILE *, fopen(path, mode));
}
int spork__sys_fclose(FILE *file) { UNCANCELLED(int, fclose(file)); }
int spork__sys_fflush(FILE *file) { UNCANCELLED(int, fflush(file)); }
char *spork__sys_fgets(char *text, int size, FILE *file)
{
    UNCANCELLED(char *, fgets(text, size, file));
}
size_t spork__sys_fread(void *data, size_t size, size_t count, FILE *file)
{
    UNCANCELLED(size_t, fread(data, size, count, file));
}
size_t spork__sys_fwrite(const void *data, size_t size, size_t count, FILE *file)
{
    UNCANCELLED(size_t, fwrite(data, size, count, file));
}

#ifndef F_SETNOSIGPIPE
int spork__sys_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *time)
{
    UNCANCELLED(int, sigtimedwait(set, info, time));
}
#endif
#if SPORK_HAVE_POSIX_FALLOCATE
int spork__sys_posix_fallocate(int fd, off_t begin, off_t size)
{
    UNCANCELLED(int, posix_fallocate(fd, begin, size));
}
#endif
#ifdef __linux__
int spork__sys_fallocate(int fd, int mode, off_t begin, off_t size)
{
    UNCANCELLED(int, fallocate(fd, mode, begin, size));
}
#endif
#if SPORK_HAVE_PWRITEV2
ssize_t spork__sys_pwritev2(int fd, const struct iovec *pieces, int count, off_t at, int flags)
{
    UNCANCELLED(ssize_t, pwritev2(fd, pieces, count, at, flags));
}
#endif
