#include "os.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "alloc.h"

/* ---- threads that Spork starts ---- */

typedef struct beginning {
    spork__thread_work work;
    char name[16]; /* what Linux has room for */
    bool own;
} beginning;

static void show_name(const char *name)
{
#if defined(__linux__)
    prctl(PR_SET_NAME, name, 0, 0, 0);
#elif defined(__APPLE__)
    pthread_setname_np(name);
#else
    (void)name;
#endif
}

static void cut_short(void *at)
{
    const beginning *b = at;
    if (b->work.cut_short != NULL) b->work.cut_short(b->work.user);
    if (b->own) atomic_fetch_sub(&spork__own_threads, 1);
}

static void *begin(void *at)
{
    beginning b = *(beginning *)at;
    spork__free(at);
    show_name(b.name);
    pthread_cleanup_push(cut_short, &b);
    b.work.fn(b.work.user);
    pthread_cleanup_pop(0);
    if (b.own) atomic_fetch_sub(&spork__own_threads, 1);
    return NULL;
}

spork_status spork__os_thread_start(spork__os_thread *thread, const spork__thread_work *work,
                                    const char *name, bool own)
{
    pthread_t id;
    sigset_t all, before;
    beginning *b = spork__alloc(sizeof *b, "a thread");
    if (b == NULL) return SPORK_NO_MEMORY;
    *b = (beginning){*work, "", own};
    for (size_t i = 0; i < sizeof b->name - 1 && name[i] != 0; i++) b->name[i] = name[i];
    if (own) {
        atomic_fetch_add(&spork__own_threads, 1); /* before somebody counts it */
        sigfillset(&all); /* the program's handlers run in the program's threads; SIGSEGV and its like cannot be kept away, and need not be */
        pthread_sigmask(SIG_SETMASK, &all, &before);
    }
    int code = SPORK__SYS_CODE(pthread_create(&id, NULL, begin, b));
    if (own) pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0) {
        thread->handle = (uintptr_t)id;
        return SPORK_OK;
    }
    if (own) atomic_fetch_sub(&spork__own_threads, 1);
    spork__free(b);
    return spork__fail_os(code, "no thread");
}

void spork__os_thread_join(spork__os_thread *thread)
{
    spork__sys_pthread_join((pthread_t)thread->handle, NULL);
}
void spork__os_thread_detach(spork__os_thread *thread) { pthread_detach((pthread_t)thread->handle); }

/* ---- the end of any thread ---- */

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic bool made;
static void (*_Atomic at_end)(uintptr_t value);

static void end(void *value) { at_end((uintptr_t)value); }

static void make_key(void) { made = pthread_key_create(&key, end) == 0; }

/* A program that has used all keys up is not told of threads that end; nothing else depends on it. */
void spork__os_at_thread_end(void (*fn)(uintptr_t value), uintptr_t value)
{
    if (at_end == NULL) at_end = fn;
    pthread_once(&once, make_key);
    if (made) pthread_setspecific(key, (void *)value);
}

void spork__os_forget_thread_ends(void)
{
    if (made) pthread_key_delete(key);
    made = false;
}
