/* Two processes at the same time: their names, their ids, and whether they are alive. */
#include <spork/spork.h>
#include <stdio.h>

static int work(const char *worker, const spork_args *args)
{
    int interval;
    if (spork_unpack(args, &interval) != SPORK_OK) return 1;
    printf("%s, parent process (%d), current process (%d)\n", worker, spork_getppid(), spork_getpid());
    fflush(stdout); /* Windows keeps the line otherwise */
    double start = spork_time();
    spork_sleep(interval * 1000);
    printf("%s, run time is '%.2f' seconds\n", worker, spork_time() - start);
    return 0;
}
static int worker_1(const spork_args *args) { return work("worker_1", args); }
static int worker_2(const spork_args *args) { return work("worker_2", args); }

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    printf("process id: %d\n", spork_getpid());
    spork_process_options named = { .target = worker_2, .name = "alogy", .args = spork_pack(2) };
    spork_process *p1 = spork_process_new(worker_1, spork_pack(4)); /* without a name: Process-1 */
    spork_process *p2 = spork_process_new_with(&named);
    SPORK_MUST(spork_process_start(p1));
    SPORK_MUST(spork_process_start(p2));
    printf("p2.is_alive=%s\n", spork_process_is_alive(p2) ? "True" : "False");
    printf("p1.name=%s\np1.pid=%d\n", spork_process_name(p1), spork_process_pid(p1));
    printf("p2.name=%s\np2.pid=%d\n", spork_process_name(p2), spork_process_pid(p2));
    fflush(stdout); /* before the workers end */
    SPORK_MUST(spork_process_join(p1, SPORK_FOREVER));
    printf("p1.is_alive=%s\n", spork_process_is_alive(p1) ? "True" : "False");
    SPORK_MUST(spork_process_join(p2, SPORK_FOREVER));
    spork_process_free(p1);
    spork_process_free(p2);
    return 0;
}
