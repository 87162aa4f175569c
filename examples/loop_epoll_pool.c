/* A pool in a program that lives around epoll (Linux). Its handle is readable as long as callbacks are due, and spork_pool_poll runs them
 * here, on this thread. Nothing has to be armed. */
#include <spork/spork.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { TASKS = 8 };

static int square(const spork_args *args, spork_task *task)
{
    int n;
    if (spork_unpack(args, &n) != SPORK_OK) return 1;
    spork_sleep(50 * (n % 3 + 1));
    return spork_return(task, n, n * n);
}

/* Runs in the loop. */
static void show(const spork_future *future, void *user)
{
    int n, squared, *shown = user;
    SPORK_MUST(spork_future_get(future, 0, &n, &squared));
    printf("%d squared is %d\n", n, squared);
    ++*shown;
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    int shown = 0, free_turns = 0;
    spork_pool_options options = {.workers = 3, .manual_callbacks = true};
    spork_task_options each = {.done = show, .user = &shown};
    spork_pool *pool = spork_pool_new_with(&options);
    for (int n = 1; n <= TASKS; n++) SPORK_MUST(spork_pool_apply_async(pool, square, spork_pack(n), &each, NULL));
    SPORK_MUST(spork_pool_close(pool)); /* so that spork_pool_poll tells the end */

    int poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = pool}};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, (int)spork_pool_handle(pool), &event) != 0) return 1;
    for (spork_status status = SPORK_TIMEOUT; status != SPORK_CLOSED;) {
        int ready = epoll_wait(poller, &event, 1, 10);
        if (ready == 0) free_turns++; /* a server would do something else meanwhile */
        if (ready != 1) continue;
        do status = spork_pool_poll(event.data.ptr, 0);
        while (status == SPORK_OK);
        if (status != SPORK_TIMEOUT && status != SPORK_CLOSED) SPORK_MUST(status);
    }
    printf("%d callbacks; between them the loop was free: %s\n", shown, free_turns > 0 ? "True" : "False");

    SPORK_MUST(spork_pool_join(pool, SPORK_FOREVER));
    spork_pool_free(pool);
    close(poller);
    return 0;
}
