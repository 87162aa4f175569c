/* Thread: a function with its arguments, run beside main in the same process. Then two threads that change one balance, and the lock
 * that keeps it right. */
#include <spork/spork.h>
#include <stdio.h>

enum { TIMES = 100000 };

/* Runs in the thread; its return is the exit code. */
static int loop(const spork_args *args)
{
    int n;
    if (spork_unpack(args, &n) != SPORK_OK) return 1;
    const char *name = spork_thread_name(spork_current_thread());
    printf("thread %s is running...\n", name);
    for (int i = 1; i <= n; i++) {
        printf("thread %s >>> %d\n", name, i);
        spork_sleep(50);
    }
    printf("thread %s ended.\n", name);
    return 0;
}

static int balance; /* threads share it: no argument is needed for that */

static void change_it(int n)
{
    int now = balance; /* another thread may write between this */
    balance = now + n; /* and this */
}

static int run_thread(const spork_args *args)
{
    spork_lock *lock;
    int n;
    if (spork_unpack(args, &lock, &n) != SPORK_OK) return 1;
    for (int i = 0; i < TIMES; i++) {
        SPORK_MUST(spork_lock_acquire(lock, SPORK_FOREVER));
        change_it(n);
        SPORK_MUST(
            spork_lock_release(lock)); /* a return before this would leave the lock with a thread that has ended */
    }
    return 0;
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    const char *name = spork_thread_name(spork_current_thread());
    printf("thread %s is running...\n", name);
    spork_thread_options options = {.target = loop, .args = spork_pack(5), .name = "LoopThread"};
    spork_thread *t = spork_thread_new_with(&options);
    SPORK_MUST(spork_thread_start(t));
    SPORK_MUST(spork_thread_join(t, SPORK_FOREVER));
    spork_thread_free(t);
    printf("thread %s ended.\n", name);

    spork_lock *lock = spork_lock_new();
    spork_thread *t1 = spork_thread_new(run_thread, spork_pack(lock, 5)); /* without a name: Thread-1 */
    spork_thread *t2 = spork_thread_new(run_thread, spork_pack(lock, 8));
    SPORK_MUST(spork_thread_start(t1));
    SPORK_MUST(spork_thread_start(t2));
    SPORK_MUST(spork_thread_join(t1, SPORK_FOREVER));
    SPORK_MUST(spork_thread_join(t2, SPORK_FOREVER));
    printf("%s and %s: the balance is %d, and should be %d\n", spork_thread_name(t1), spork_thread_name(t2), balance,
           TIMES * (5 + 8));
    spork_thread_free(t1);
    spork_thread_free(t2);
    spork_lock_free(lock); /* after them: they use this very object */
    return 0;
}
