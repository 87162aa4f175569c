#include "cancels.h"

#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>

bool cancels_there_are(void) { return false; }

struct cancels_thread {
    HANDLE handle;
    int (*call)(void *user);
    void *user;
    int result;
};

static DWORD WINAPI run(void *at)
{
    cancels_thread *t = at;
    t->result = t->call(t->user);
    return 0;
}

cancels_thread *cancels_begin(int (*call)(void *user), void *user)
{
    cancels_thread *t = calloc(1, sizeof *t);
    if (t == NULL) return NULL;
    t->call = call;
    t->user = user;
    t->handle = CreateThread(NULL, 0, run, t, 0, NULL);
    if (t->handle != NULL) return t;
    free(t);
    return NULL;
}

void cancels_cancel(cancels_thread *thread) { (void)thread; }

bool cancels_join(cancels_thread *thread, int *result)
{
    WaitForSingleObject(thread->handle, INFINITE);
    CloseHandle(thread->handle);
    *result = thread->result;
    free(thread);
    return true;
}

void cancels_cancel_self(void) {}
void cancels_test(void) {}
void cancels_disable(void) {}
spork_status cancels_wait_for_condition(spork_condition *condition, spork_status *released)
{
    (void)condition, (void)released;
    return SPORK_UNSUPPORTED;
}
void cancels_exit(void) { ExitThread(0); }

#else
#include <pthread.h>

bool cancels_there_are(void) { return true; }

struct cancels_thread {
    pthread_t id;
    int (*call)(void *user);
    void *user;
    int result;
};

static void *run(void *at)
{
    cancels_thread *t = at;
    t->result = t->call(t->user);
    return NULL;
}

cancels_thread *cancels_begin(int (*call)(void *user), void *user)
{
    cancels_thread *t = calloc(1, sizeof *t);
    if (t == NULL) return NULL;
    t->call = call;
    t->user = user;
    if (pthread_create(&t->id, NULL, run, t) == 0) return t;
    free(t);
    return NULL;
}

void cancels_cancel(cancels_thread *thread) { pthread_cancel(thread->id); }

bool cancels_join(cancels_thread *thread, int *result)
{
    void *value = NULL;
    pthread_join(thread->id, &value);
    *result = thread->result;
    free(thread);
    return value != PTHREAD_CANCELED;
}

void cancels_cancel_self(void) { pthread_cancel(pthread_self()); }
void cancels_test(void) { pthread_testcancel(); }
void cancels_disable(void) { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); }
typedef struct holding {
    spork_condition *condition;
    spork_status *released;
} holding;

static void release(void *at)
{
    holding *h = at;
    *h->released = spork_condition_release(h->condition);
}

spork_status cancels_wait_for_condition(spork_condition *condition, spork_status *released)
{
    holding h = {condition, released};
    spork_status status = spork_condition_acquire(condition, harness_patience_ms());
    if (status != SPORK_OK) return status;
    pthread_cleanup_push(release, &h);
    status = spork_condition_wait(condition, SPORK_FOREVER);
    pthread_cleanup_pop(1);
    return status;
}

void cancels_exit(void) { pthread_exit(NULL); }

#endif

int cancels_exit_target(const spork_args *args)
{
    (void)args;
    cancels_exit();
    return 1;
}

int cancels_wait_target(const spork_args *args)
{
    (void)args;
    cancels_cancel_self();
    spork_sleep(harness_patience_ms());
    return 1;
}

int cancels_exit_with_memory(const spork_args *args, spork_task *task)
{
    enum { SIZE = 16 << 20 };
    (void)args;
    for (int i = 0; i < 2; i++) {
        void *memory = spork_task_alloc(task, SIZE);
        if (memory == NULL) return 1;
        memset(memory, 1, SIZE);
        if (i == 0) spork_return(task, spork_bytes_of(memory, SIZE));
    }
    cancels_exit();
    return 1;
}

int cancels_exit_task(const spork_args *args, spork_task *task)
{
    (void)args, (void)task;
    cancels_exit();
    return 1;
}
