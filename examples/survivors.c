/* A pool that survives its tasks: some write where nothing is, run for ever, use up all memory, or end their process. Each of them costs
 * its own result and nothing else, and the pool tells what happened to it.
 *
 *   survivors [unlimited]     unlimited: without a limit of memory, and without the task that needs one */
#include <spork/spork.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tasks ---- */

static int add_up(const spork_args *args, spork_task *task)
{
    char text[64];
    int sum = 0;
    (void)args;
    for (int i = 1; i <= 100; i++) sum += i;
    snprintf(text, sizeof text, "1 + 2 + ... + 100 = %d", sum);
    return spork_return(task, text);
}

static int *volatile nowhere = (int *)8;

static int write_nowhere(const spork_args *args, spork_task *task)
{
    (void)args, (void)task;
    *nowhere = 1;
    return 0;
}

static int spin_for_ever(const spork_args *args, spork_task *task)
{
    (void)args, (void)task;
    volatile bool more = true;
    while (more) {}
    return 0;
}

static int leak(const spork_args *args, spork_task *task)
{
    (void)args, (void)task;
    for (;;) {
        char *volatile piece = malloc(1 << 20);
        if (piece == NULL) abort(); /* what most programs do then */
        memset(piece, 1, 1 << 20);
    }
}

static int end_the_process(const spork_args *args, spork_task *task)
{
    (void)args, (void)task;
    exit(3);
}

static int fail(const spork_args *args, spork_task *task)
{
    (void)args;
    return spork_fail(task, "there is no file %s", "nothing.txt");
}

static int fail_once(const spork_args *args, spork_task *task)
{
    (void)args;
    if (task->attempt == 1) abort();
    return spork_return(task, "a second attempt did it");
}

static const struct row {
    const char *name;
    spork_task_fn fn;
    int timeout_ms; /* 0: the pool's */
} rows[] = {
    {"add up", add_up, 0},
    {"write nowhere", write_nowhere, 0},
    {"spin for ever", spin_for_ever, 500},
    {"leak", leak, 0},
    {"end the process", end_the_process, 0},
    {"fail", fail, 0},
    {"fail once", fail_once, 0},
    {"add up again", add_up, 0},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* ---- the table ---- */

static void show(const char *name, const spork_future *future)
{
    const char *answer;
    char exitcode[16] = "";
    spork_death death;
    if (spork_future_get(future, SPORK_FOREVER, &answer) == SPORK_OK) {
        printf("%-15s  %-16s  %8s  %9s  %s\n", name, "SPORK_OK", "", "", answer);
        return;
    }
    SPORK_MUST(spork_future_death(future, &death));
    if (death.exitcode != SPORK_RUNNING) snprintf(exitcode, sizeof exitcode, "%d", death.exitcode);
    printf("%-15s  %-16s  %8u  %9s  %s\n", name, spork_status_name(spork_future_status(future)), death.attempt,
           exitcode, death.text);
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_pool_options options = {.workers = 2, .retries = 1, .task_timeout_ms = 20000};
    if (argc < 2 || strcmp(argv[1], "unlimited") != 0) options.max_memory = 64 << 20;
    spork_pool *pool = spork_pool_new_with(&options);
    if (pool == NULL && options.max_memory != 0 && spork_last_status() == SPORK_UNSUPPORTED) {
        fprintf(stderr, "without a limit of memory: %s\n", spork_error());
        options.max_memory = 0;
        pool = spork_pool_new_with(&options);
    }

    spork_future *futures[ROWS];
    for (int i = 0; i < ROWS; i++) {
        futures[i] = NULL;
        if (rows[i].fn == leak && options.max_memory == 0) continue; /* it would take the whole machine's */
        spork_task_options task = {.timeout_ms = rows[i].timeout_ms};
        SPORK_MUST(spork_pool_apply_async(pool, rows[i].fn, SPORK_NO_ARGS, &task, &futures[i]));
    }
    printf("%-15s  %-16s  %8s  %9s  %s\n", "task", "ended as", "attempts", "exit code", "what it returned, or why not");
    for (int i = 0; i < ROWS; i++) {
        if (futures[i] != NULL)
            show(rows[i].name, futures[i]);
        else
            printf("%-15s  not run\n", rows[i].name);
        spork_future_free(futures[i]);
    }

    SPORK_MUST(spork_pool_close(pool));
    SPORK_MUST(spork_pool_join(pool, SPORK_FOREVER));
    spork_pool_counters counters;
    SPORK_MUST(spork_pool_count(pool, &counters));
    printf("%d tasks well and %d not; %d attempts ended with their worker, %d were made for the second time\n",
           (int)counters.completed, (int)counters.failed, (int)counters.crashed, (int)counters.retried);
    spork_pool_free(pool);
    return 0;
}
