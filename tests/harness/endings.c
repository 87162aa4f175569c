#include "endings.h"

#include <stdio.h>
#include <stdlib.h>

static int told(const char *what, spork_status status)
{
    printf("%s: %s\n", what, spork_status_name(status));
    fflush(stdout);
    return 0;
}

static int get(const spork_args *args)
{
    spork_queue *q;
    char byte;
    spork_status status;
    SPORK_MUST(spork_unpack(args, &q));
    while ((status = spork_queue_get_bytes(q, &byte, 1, NULL, SPORK_FOREVER)) == SPORK_OK) {}
    return told("get", status);
}

static int put(const spork_args *args)
{
    spork_queue *q;
    spork_status status;
    SPORK_MUST(spork_unpack(args, &q));
    while ((status = spork_queue_put_bytes(q, "x", 1, SPORK_FOREVER)) == SPORK_OK) {}
    return told("put", status);
}

static int receive(const spork_args *args)
{
    spork_connection *c;
    char byte;
    spork_status status;
    SPORK_MUST(spork_unpack(args, &c));
    while ((status = spork_connection_recv_bytes(c, &byte, 1, NULL, SPORK_FOREVER)) == SPORK_OK) {}
    return told("receive", status);
}

static int send(const spork_args *args)
{
    static const char text[1000];
    spork_connection *c;
    spork_status status;
    SPORK_MUST(spork_unpack(args, &c));
    while ((status = spork_connection_send_bytes(c, text, sizeof text, SPORK_FOREVER)) ==
           SPORK_OK) {}
    return told("send", status);
}

static void start(spork_target target, spork_args args)
{
    SPORK_MUST(spork_process_start(spork_process_new(target, args)));
}

/* Threads of the program's own that nobody waits for: they wait for what only this process can do,
 * and must not hear of an end. */
static void get_for_ever(void *queue)
{
    char byte;
    for (;;) SPORK_MUST(spork_queue_get_bytes(queue, &byte, 1, NULL, SPORK_FOREVER));
}

static void receive_for_ever(void *connection)
{
    char byte;
    for (;;) SPORK_MUST(spork_connection_recv_bytes(connection, &byte, 1, NULL, SPORK_FOREVER));
}

static spork_queue *new_queue(size_t max_messages)
{
    spork_queue *q = spork_queue_new(max_messages, 0);
    if (q == NULL) exit(3);
    return q;
}

int endings_scenario_wait(const char *argument)
{
    spork_connection *a, *b, *reader, *writer;
    char byte;
    (void)argument;
    SPORK_MUST(spork_init(0, NULL));
    spork_queue *to_get = new_queue(0), *to_put = new_queue(4), *own = new_queue(0);
    start(get, spork_pack(spork_get_only(to_get)));
    SPORK_MUST(spork_queue_put_bytes(to_get, "x", 1, harness_patience_ms()));
    start(put, spork_pack(spork_put_only(to_put)));
    SPORK_MUST(spork_queue_get_bytes(to_put, &byte, 1, NULL, harness_patience_ms()));
    SPORK_MUST(spork_pipe(&reader, &writer));
    start(receive, spork_pack(spork_move(reader)));
    SPORK_MUST(spork_pipe(&reader, &writer));
    start(send, spork_pack(spork_move(writer)));
    SPORK_MUST(spork_pipe_duplex(&a, &b));
    start(receive, spork_pack(spork_move(b)));
    SPORK_MUST(spork_connection_send_bytes(a, "x", 1, harness_patience_ms()));
    harness_thread_start(get_for_ever, own);
    harness_thread_start(receive_for_ever, a);
    return 0;
}

/* Puts and sends a result, and ends. */
static int result(const spork_args *args)
{
    spork_queue *q;
    spork_connection *c;
    SPORK_MUST(spork_unpack(args, &q, &c));
    SPORK_MUST(spork_queue_put_bytes(q, "x", 1, SPORK_FOREVER));
    SPORK_MUST(spork_connection_send_bytes(c, "x", 1, SPORK_FOREVER));
    return 0;
}

static spork_queue *results;
static spork_connection *result_reader;

/* Registered before spork_init, it runs when all children have ended. */
static void read_results(void)
{
    char byte;
    told("got", spork_queue_get_bytes(results, &byte, 1, NULL, 0));
    told("received", spork_connection_recv_bytes(result_reader, &byte, 1, NULL, 0));
}

int endings_scenario_late(const char *argument)
{
    spork_connection *writer;
    (void)argument;
    atexit(read_results);
    SPORK_MUST(spork_init(0, NULL));
    results = new_queue(0);
    SPORK_MUST(spork_pipe(&result_reader, &writer));
    start(result, spork_pack(results, spork_move(writer)));
    return 0;
}

/* Puts until it is ended. */
static int produce(const spork_args *args)
{
    spork_queue *q;
    SPORK_MUST(spork_unpack(args, &q));
    while (spork_queue_put_bytes(q, "x", 1, SPORK_FOREVER) == SPORK_OK) {}
    return 0;
}

int endings_scenario_daemon(const char *argument)
{
    (void)argument;
    SPORK_MUST(spork_init(0, NULL));
    spork_queue *q = new_queue(0);
    spork_process_options o = {
        .target = produce, .args = spork_pack(spork_put_only(q)), .daemon = true};
    SPORK_MUST(spork_process_start(spork_process_new_with(&o)));
    start(get, spork_pack(spork_get_only(q)));
    return 0;
}

/* A queue with questions, one with answers. */
static int serve(const spork_args *args)
{
    spork_queue *questions, *answers;
    char byte;
    SPORK_MUST(spork_unpack(args, &questions, &answers));
    while (spork_queue_get_bytes(questions, &byte, 1, NULL, SPORK_FOREVER) == SPORK_OK)
        SPORK_MUST(spork_queue_put_bytes(answers, "a", 1, SPORK_FOREVER));
    return 0;
}

/* The same, and a queue that has no more producers when its parent ends. */
static int ask(const spork_args *args)
{
    spork_queue *questions, *answers, *end;
    char byte;
    SPORK_MUST(spork_unpack(args, &questions, &answers, &end));
    if (spork_queue_get_bytes(end, &byte, 1, NULL, SPORK_FOREVER) != SPORK_CLOSED) return 1;
    SPORK_MUST(spork_queue_put_bytes(questions, "q", 1, SPORK_FOREVER));
    return told("served", spork_queue_get_bytes(answers, &byte, 1, NULL, SPORK_FOREVER));
}

int endings_scenario_served(const char *argument)
{
    (void)argument;
    SPORK_MUST(spork_init(0, NULL));
    spork_queue *questions = new_queue(0), *answers = new_queue(0), *end = new_queue(0);
    spork_process_options o = {.target = serve,
                               .args =
                                   spork_pack(spork_get_only(questions), spork_put_only(answers)),
                               .daemon = true};
    SPORK_MUST(spork_process_start(spork_process_new_with(&o)));
    start(ask, spork_pack(spork_put_only(questions), spork_get_only(answers), spork_get_only(end)));
    return 0;
}
