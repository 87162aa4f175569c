/* A sibling instead of a child: the fork server on Linux clones with CLONE_PARENT, so that a new process is a child of the
 * server's owner, who can wait for it, signal it by pidfd, and keeps it when the server dies.
 *
 * libc's fork repairs in the child what libc remembers of its thread: the thread id, by which robust mutexes and others know
 * their owner, and the kernel's list of robust mutexes. A raw clone must do the same: the kernel tells where libc keeps the id
 * (PR_GET_TID_ADDRESS, needs CONFIG_CHECKPOINT_RESTORE) and writes the new one there (CLONE_CHILD_SETTID); the list's head is
 * registered again. Whether that is enough here is asked by trying: a raw child takes a robust mutex and ends, and its lock
 * has to report its owner's death. Where that fails (musl, emulators), the server forks by libc and relays exits. */
#include "os.h"

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1 /* its runtime must see every fork */
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

#if SPORK_HAVE_CLONE3 && !UNDER_TSAN

#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif

static int raw_clone(uint64_t flags, uint64_t exit_signal, _Atomic uint32_t *told)
{
    int *tid_address = NULL;
    void *robust_head = NULL;
    size_t robust_size = 0;
    if (prctl(PR_GET_TID_ADDRESS, &tid_address, 0, 0, 0) != 0 || tid_address == NULL) return -1;
    if (syscall(SYS_get_robust_list, 0, &robust_head, &robust_size) != 0) return -1;
    struct clone_args args;
    memset(&args, 0, sizeof args);
    args.flags = flags | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    args.exit_signal = exit_signal;
    if (told != NULL) {
        args.flags |= CLONE_PARENT_SETTID;
        args.parent_tid = (uintptr_t)told;
    }
    args.child_tid = (uintptr_t)tid_address;
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) syscall(SYS_set_robust_list, robust_head, robust_size);
    return (int)pid;
}

static void test_child(pthread_mutex_t *mutex)
{
    bool agrees = getpid() == (int)syscall(SYS_getpid) && pthread_mutex_lock(mutex) == 0;
    _exit(agrees ? 0 : 1);
}

static bool reports_death(pthread_mutex_t *mutex)
{
    int status = -1, pid = raw_clone(0, SIGCHLD, NULL);
    if (pid == 0) test_child(mutex);
    if (pid < 0) return false;
    while (spork__sys_waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return status == 0 && pthread_mutex_trylock(mutex) == EOWNERDEAD;
}

bool spork__clone_works(void)
{
    pthread_mutexattr_t attributes;
    pthread_mutex_t *mutex = mmap(NULL, sizeof *mutex, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (mutex == MAP_FAILED) return false;
    pthread_mutexattr_init(&attributes);
    bool works = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
                 pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0 &&
                 pthread_mutex_init(mutex, &attributes) == 0 && reports_death(mutex);
    if (works) {
        pthread_mutex_consistent(mutex);
        pthread_mutex_unlock(mutex);
    }
    pthread_mutexattr_destroy(&attributes);
    munmap(mutex, sizeof *mutex);
    return works;
}

/* Its exit signal is ours, as the kernel wants it. */
int spork__clone_sibling(_Atomic uint32_t *pid) { return raw_clone(CLONE_PARENT, 0, pid); }

#else

bool spork__clone_works(void) { return false; }
int spork__clone_sibling(_Atomic uint32_t *pid)
{
    (void)pid;
    errno = ENOSYS;
    return -1;
}

#endif
