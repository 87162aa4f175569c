/* The functions of the system's that are cancellation points, as calls that are none:
 * pthread_cancel must not end a thread that holds a lock, has half of a message in hands, or has
 * just got a descriptor. Where a call of the library may end so is cancel.c's matter.
 *
 * Nothing else in src/posix calls the system's own: a test looks at what the library's objects
 * refer to. fcntl is not among them: only its locks that wait are such a point, and none is
 * used. */
#ifndef SPORK_POSIX_UNCANCELLED_H
#define SPORK_POSIX_UNCANCELLED_H

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int spork__sys_open(const char *path, int flags, ...);
int spork__sys_openat(int directory, const char *path, int flags, ...);
int spork__sys_close(int fd);
ssize_t spork__sys_read(int fd, void *data, size_t size);
ssize_t spork__sys_write(int fd, const void *data, size_t size);
ssize_t spork__sys_writev(int fd, const struct iovec *pieces, int count);
ssize_t spork__sys_recv(int fd, void *data, size_t size, int flags);
ssize_t spork__sys_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t spork__sys_sendmsg(int fd, const struct msghdr *message, int flags);
int spork__sys_pause(void);
pid_t spork__sys_waitpid(pid_t pid, int *status, int options);
pid_t spork__sys_wait4(pid_t pid, int *status, int options, struct rusage *used);
int spork__sys_waitid(idtype_t type, id_t id, siginfo_t *info, int options);
int spork__sys_pthread_join(pthread_t thread, void **value);
DIR *spork__sys_opendir(const char *path);
struct dirent *spork__sys_readdir(DIR *directory);
int spork__sys_closedir(DIR *directory);
FILE *spork__sys_fopen(const char *path, const char *mode);
int spork__sys_fclose(FILE *file);
int spork__sys_fflush(FILE *file);
char *spork__sys_fgets(char *text, int size, FILE *file);
size_t spork__sys_fread(void *data, size_t size, size_t count, FILE *file);
size_t spork__sys_fwrite(const void *data, size_t size, size_t count, FILE *file);
/* These two may be points: cancel.c. */
int spork__sys_poll(struct pollfd *fds, nfds_t count, int ms);
int spork__sys_nanosleep(const struct timespec *time, struct timespec *left);
#ifndef F_SETNOSIGPIPE
int spork__sys_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *time);
#endif
#if SPORK_HAVE_POSIX_FALLOCATE
int spork__sys_posix_fallocate(int fd, off_t begin, off_t size);
#endif
#ifdef __linux__
int spork__sys_fallocate(int fd, int mode, off_t begin, off_t size);
#endif
#if SPORK_HAVE_PWRITEV2
ssize_t spork__sys_pwritev2(int fd, const struct iovec *pieces, int count, off_t at, int flags);
#endif

#endif
