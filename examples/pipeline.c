/* Pipeline: three processes, source | filter | sink, with queues of two messages between them. The source cannot run away from the
 * sink, which is slow: it waits where a queue is full. Nobody is told to end: each stage sees that the one before it is gone. */
#include <spork/spork.h>
#include <stdio.h>

enum { NUMBERS = 20, SLOTS = 2 };

static int source(const spork_args *args)
{
    spork_queue *out;
    if (spork_unpack(args, &out) != SPORK_OK) return 1;
    for (int i = 1; i <= NUMBERS; i++) SPORK_MUST(spork_queue_put(out, spork_pack(i, spork_time()), SPORK_FOREVER));
    return 0;
}

static int filter(const spork_args *args)
{
    spork_queue *in, *out;
    spork_args *message;
    if (spork_unpack(args, &in, &out) != SPORK_OK) return 1;
    while (spork_queue_get(in, &message, SPORK_FOREVER) == SPORK_OK) {
        int number;
        double born;
        SPORK_MUST(spork_unpack(message, &number, &born));
        if (number % 2 != 0) SPORK_MUST(spork_queue_put(out, spork_pack(number * number, born), SPORK_FOREVER));
        spork_args_free(message);
    }
    return 0;
}

static int sink(const spork_args *args)
{
    spork_queue *in;
    spork_args *message;
    spork_status status;
    int sum = 0, count = 0, in_time = 0;
    if (spork_unpack(args, &in) != SPORK_OK) return 1;
    while ((status = spork_queue_get(in, &message, SPORK_FOREVER)) == SPORK_OK) {
        int square;
        double born;
        SPORK_MUST(spork_unpack(message, &square, &born));
        spork_args_free(message);
        sum += square;
        count++;
        if (count > 5 && spork_time() - born < 2) in_time++; /* made shortly before: the source had to wait for us */
        spork_sleep(50);
    }
    printf("sum of %d squares: %d; then %s\n", count, sum, spork_status_name(status));
    printf("fresh: %d of the last 5\n", in_time);
    return 0;
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_queue *first = spork_queue_new(SLOTS, 0), *second = spork_queue_new(SLOTS, 0);
    spork_process *stages[] = {
        spork_process_new(sink, spork_pack(spork_get_only(second))),
        spork_process_new(filter, spork_pack(spork_get_only(first), spork_put_only(second))),
        spork_process_new(source, spork_pack(spork_put_only(first))),
    };
    for (int i = 0; i < 3; i++) SPORK_MUST(spork_process_start(stages[i]));
    spork_queue_free(first); /* ours would keep the stages waiting */
    spork_queue_free(second);
    for (int i = 0; i < 3; i++) {
        SPORK_MUST(spork_process_join(stages[i], SPORK_FOREVER));
        spork_process_free(stages[i]);
    }
    return 0;
}
