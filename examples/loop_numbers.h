/* What the loops share: a child that puts three numbers into a queue, and ends; and what a loop does when there may be something. */
#ifndef LOOP_NUMBERS_H
#define LOOP_NUMBERS_H

#include <spork/spork.h>
#include <stdio.h>

static int put_numbers(const spork_args *args)
{
    spork_queue *q;
    if (spork_unpack(args, &q) != SPORK_OK) return 1;
    for (int i = 1; i <= 3; i++) {
        SPORK_MUST(spork_queue_put(q, spork_pack(i), SPORK_FOREVER));
        spork_sleep(30);
    }
    return 0;
}

static spork_queue *begin(spork_process **child)
{
    spork_queue *q = spork_queue_new(0, 0);
    *child = spork_process_new(put_numbers, spork_pack(spork_put_only(q)));
    SPORK_MUST(spork_process_start(*child));
    SPORK_MUST(spork_queue_drop(q, SPORK_PUT)); /* so that the child's end is the queue's */
    return q;
}

/* Takes what is there. False: it was the end. */
static bool take_all(spork_queue *q)
{
    for (;;) {
        spork_args *message;
        int number;
        spork_status status = spork_queue_get(q, &message, 0);
        if (status == SPORK_TIMEOUT) return true;
        if (status == SPORK_CLOSED) return false;
        SPORK_MUST(status);
        SPORK_MUST(spork_unpack(message, &number));
        printf("number %d\n", number);
        fflush(stdout);
        spork_args_free(message);
    }
}

static int end(spork_queue *q, spork_process *child)
{
    printf("the end\n");
    SPORK_MUST(spork_process_join(child, SPORK_FOREVER));
    spork_process_free(child);
    spork_queue_free(q);
    return 0;
}

#endif
