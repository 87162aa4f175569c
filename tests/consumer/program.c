/* A program as strangers have it: built from outside by what was installed, as C11 and as C++17, under their own strict warnings. */
#include <spork/spork.h>

#include <stdio.h>

struct point {
    int x, y;
};

static int child(const spork_args *args)
{
    spork_queue *answers;
    const char *word;
    struct point p;
    double *numbers;
    size_t count;
    double sum = 0;
    if (spork_unpack(args, &answers, &word, spork_struct_into(&p), spork_array_into(&numbers, &count)) != SPORK_OK) return 1;
    for (size_t i = 0; i < count; i++) sum += numbers[i];
    return spork_queue_put(answers, spork_pack(word, p.x + p.y, sum), SPORK_FOREVER) != SPORK_OK;
}

static int square(const spork_args *args, spork_task *task)
{
    int n;
    if (spork_unpack(args, &n) != SPORK_OK) return 1;
    if (n < 0) return spork_fail(task, "%d is negative", n);
    return spork_return(task, n * n);
}

static void process_and_queue(void)
{
    double numbers[] = {0.5, 1.5, 2.25};
    struct point p = {40, 2};
    spork_queue *answers = spork_queue_new(0, 0);
    spork_process *process =
        spork_process_new(child, spork_pack(spork_put_only(answers), "word", spork_struct(&p), spork_array(numbers, 3)));
    spork_args *message;
    const char *word;
    int sum;
    double total;
    SPORK_MUST(spork_process_start(process));
    SPORK_MUST(spork_queue_drop(answers, SPORK_PUT));
    SPORK_MUST(spork_queue_get(answers, &message, SPORK_FOREVER));
    SPORK_MUST(spork_unpack(message, &word, &sum, &total));
    printf("process: %s %d %.2f\n", word, sum, total);
    spork_args_free(message);
    if (spork_queue_get(answers, &message, SPORK_FOREVER) == SPORK_CLOSED) printf("queue: closed\n");
    SPORK_MUST(spork_process_join(process, SPORK_FOREVER));
    spork_process_free(process);
    spork_queue_free(answers);
}

static void pool(void)
{
    spork_pool_options options = SPORK_DEFAULTS;
    options.workers = 2;
    spork_pool *workers = spork_pool_new_with(&options);
    spork_future *nine, *none;
    int n;
    SPORK_MUST(spork_pool_apply_async(workers, square, spork_pack(3), NULL, &nine));
    SPORK_MUST(spork_pool_apply_async(workers, square, spork_pack(-3), NULL, &none));
    SPORK_MUST(spork_future_get(nine, SPORK_FOREVER, &n));
    spork_status status = spork_future_check(none, SPORK_FOREVER);
    printf("pool: %d, %s: %s\n", n, spork_status_name(status), spork_future_error(none));
    spork_future_free(nine);
    spork_future_free(none);
    spork_pool_free(workers);
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    process_and_queue();
    pool();
#ifdef CONSUMER_HAS_HOST
    printf("host: %s\n", spork_host_path() != NULL ? "found" : spork_error());
#endif
    return 0;
}
