/* Queue: one process writes, another reads and would read for ever. The writer is joined, the reader terminated at the end. */
#include <spork/spork.h>
#include <stdio.h>
#include <stdlib.h>

static int write_values(const spork_args *args)
{
    static const char *const values[] = { "A", "B", "C" };
    spork_queue *q;
    if (spork_unpack(args, &q) != SPORK_OK) return 1;
    srand((unsigned)spork_getpid());
    for (int i = 0; i < 3; i++) {
        printf("Put %s to queue...\n", values[i]);
        fflush(stdout);
        SPORK_MUST(spork_queue_put(q, spork_pack(values[i]), SPORK_FOREVER));
        spork_sleep(200 + rand() % 800);
    }
    return 0;
}

static int read_values(const spork_args *args)
{
    spork_queue *q;
    spork_args *message;
    const char *value;
    if (spork_unpack(args, &q) != SPORK_OK) return 1;
    for (;;) {
        SPORK_MUST(spork_queue_get(q, &message, SPORK_FOREVER));
        SPORK_MUST(spork_unpack(message, &value));
        printf("Get %s from queue.\n", value);
        fflush(stdout);
        spork_args_free(message);
        SPORK_MUST(spork_queue_task_done(q));
    }
}

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_queue *q = spork_queue_new(0, 0);
    spork_process *writer = spork_process_new(write_values, spork_pack(q));
    spork_process *reader = spork_process_new(read_values, spork_pack(q));
    SPORK_MUST(spork_process_start(writer));
    SPORK_MUST(spork_process_start(reader));
    SPORK_MUST(spork_process_join(writer, SPORK_FOREVER));
    SPORK_MUST(spork_queue_join(q, SPORK_FOREVER)); /* all that was put has been read */
    SPORK_MUST(spork_process_terminate(reader));    /* it loops for ever: there is nothing to wait for */
    SPORK_MUST(spork_process_join(reader, SPORK_FOREVER));
    spork_process_free(writer);
    spork_process_free(reader);
    spork_queue_free(q);
    return 0;
}
