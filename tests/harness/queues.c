#ifdef _WIN32
#include <windows.h>
#else
#define _GNU_SOURCE
#include <signal.h>
#include <unistd.h>
#endif
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "queues.h"

/* Says what was not as it should be, and where; the place is the exit code. */
static int wrong(int place, const char *what)
{
    fprintf(stderr, "%s (%d): %s\n", what, place, spork_error());
    return place;
}

void queues_fill(void *data, size_t size, uint32_t seed)
{
    unsigned char *bytes = data;
    for (size_t at = 0; at < size; at += 8) {
        uint64_t word = ((uint64_t)at + (uint64_t)seed * 1000003u + 1) * 0x9E3779B97F4A7C15u;
        word ^= word >> 29;
        memcpy(bytes + at, &word, size - at < 8 ? size - at : 8);
    }
}

uint32_t queues_sum(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint64_t sum = 14695981039346656037u ^ size;
    for (size_t at = 0; at < size; at += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + at, size - at < 8 ? size - at : 8);
        sum = (sum ^ word) * 1099511628211u;
        sum ^= sum >> 31;
    }
    return (uint32_t)(sum ^ sum >> 32);
}

void queues_die(void)
{
#ifdef _WIN32
    TerminateProcess(GetCurrentProcess(), 9);
#else
    kill(getpid(), SIGKILL);
#endif
    spork_sleep(SPORK_FOREVER);
}

spork_status queues_receive(spork_queue *queue, void **data, size_t *size, int timeout_ms)
{
    *data = NULL;
    *size = 0;
    spork_status status = spork_queue_get_bytes(queue, NULL, 0, size, timeout_ms);
    while (status == SPORK_TOO_SMALL) { /* another may take it, and a longer one come */
        size_t room = *size;
        free(*data);
        *data = malloc(room);
        if (*data == NULL) abort();
        status = spork_queue_get_bytes(queue, *data, room, size, timeout_ms);
    }
    if (status != SPORK_OK) {
        free(*data);
        *data = NULL;
    }
    return status;
}

/* ---- a process that is told what to do ---- */

typedef struct actor {
    spork_queue *queue;
    harness_end *hear, *say;
    spork_bytes peeked;
    void *room;
    spork_process *delegate;
} actor;

static bool say(actor *a, spork_status status, const char *format, ...)
{
    char numbers[128] = "", line[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(numbers, sizeof numbers, format, list);
    va_end(list);
    const char *sentence = status != SPORK_OK ? spork_error() : "";
    int n = snprintf(line, sizeof line, "%s%s%s%s\n", spork_status_name(status), numbers, sentence[0] != 0 ? "|" : "",
                     sentence);
    return harness_write(a->say, line, (size_t)n);
}

/* False at the end of what is said to it. */
static bool hear(actor *a, char *line, size_t size)
{
    for (size_t used = 0; used + 1 < size; used++) {
        if (harness_read(a->hear, line + used, 1) != 1) return false;
        if (line[used] == '\n') {
            line[used] = 0;
            return true;
        }
    }
    return false;
}

static spork_status put(actor *a, size_t size, uint32_t seed, int timeout_ms)
{
    void *data = malloc(size + 1);
    if (data == NULL) abort();
    queues_fill(data, size, seed);
    spork_status status = spork_queue_put_bytes(a->queue, data, size, timeout_ms);
    free(data);
    return status;
}

static spork_status delegate(actor *a, int role)
{
    spork_item queue = role == SPORK_PUT   ? spork_put_only(a->queue)
                       : role == SPORK_GET ? spork_get_only(a->queue)
                                           : spork__as_queue(a->queue);
    a->delegate = spork_process_new(queues_act, spork_pack(queue, harness_give(a->hear), harness_give(a->say)));
    spork_status status = spork_process_start(a->delegate);
    if (status == SPORK_OK && spork_queue_drop(a->queue, SPORK_PUT | SPORK_GET) != SPORK_OK &&
        spork_queue_drop(a->queue, SPORK_PUT) != SPORK_OK)
        status = spork_queue_drop(a->queue, SPORK_GET);
    return status;
}

static bool is(const char *line, const char *word)
{
    size_t length = strlen(word);
    return strncmp(line, word, length) == 0 && (line[length] == 0 || line[length] == ' ');
}

static bool obey(actor *a, const char *line)
{
    long long numbers[3] = {0};
    int given = 0;
    for (const char *at = strchr(line, ' '); at != NULL && given < 3; at = strchr(at + 1, ' '))
        numbers[given++] = strtoll(at + 1, NULL, 10);
    const size_t size = (size_t)numbers[0];
    const int first_ms = given > 0 ? (int)numbers[0] : harness_helper_patience_ms(),
              second_ms = given > 1 ? (int)numbers[1] : harness_helper_patience_ms();
    spork_status status;
    unsigned long count = 0;
    if (is(line, "put"))
        return say(a, put(a, size, (uint32_t)numbers[1], given > 2 ? (int)numbers[2] : harness_helper_patience_ms()),
                   "");
    if (is(line, "putdie")) {
        status = put(a, size, (uint32_t)numbers[1], harness_helper_patience_ms());
        if (status == SPORK_OK) queues_die();
        return say(a, status, "");
    }
    if (is(line, "putvalues")) {
        status = spork_queue_put(a->queue, spork_pack("values", (int)numbers[0], 0.5), second_ms);
        return say(a, status, "");
    }
    if (is(line, "fill")) {
        while ((status = put(a, size, (uint32_t)count, 0)) == SPORK_OK) count++;
        return say(a, status, " %lu", count);
    }
    if (is(line, "get")) {
        void *data;
        size_t length;
        status = queues_receive(a->queue, &data, &length, first_ms);
        if (status != SPORK_OK) return say(a, status, "");
        uint32_t sum = queues_sum(data, length);
        free(data);
        return say(a, status, " %lu %lu", (unsigned long)length, (unsigned long)sum);
    }
    if (is(line, "getvalues")) {
        spork_args *message;
        const char *text;
        int number;
        double half;
        status = spork_queue_get(a->queue, &message, first_ms);
        if (status != SPORK_OK) return say(a, status, message == NULL ? "" : " not NULL");
        status = spork_unpack(message, &text, &number, &half);
        if (status == SPORK_OK && strcmp(text, "values") != 0) status = SPORK_INTERNAL;
        spork_args_free(message);
        return say(a, status, " %d", number);
    }
    if (is(line, "getinto")) {
        size_t length = 0;
        void *room = malloc(size + 1);
        if (room == NULL) abort();
        status = spork_queue_get_bytes(a->queue, room, size, &length, harness_helper_patience_ms());
        free(room);
        return say(a, status, " %lu", (unsigned long)length);
    }
    if (is(line, "drain")) {
        void *data;
        size_t length;
        while ((status = queues_receive(a->queue, &data, &length, 0)) == SPORK_OK) {
            free(data);
            count++;
        }
        return say(a, status, " %lu", count);
    }
    if (is(line, "reserve")) return say(a, spork_queue_reserve(a->queue, size, &a->room, second_ms), "");
    if (is(line, "commit")) {
        queues_fill(a->room, size, (uint32_t)numbers[1]);
        return say(a, spork_queue_commit(a->queue, a->room, size), "");
    }
    if (is(line, "peek")) {
        status = spork_queue_peek(a->queue, &a->peeked, first_ms);
        if (status != SPORK_OK) return say(a, status, "");
        return say(a, status, " %lu %lu", (unsigned long)a->peeked.size,
                   (unsigned long)queues_sum(a->peeked.data, a->peeked.size));
    }
    if (is(line, "release")) return say(a, spork_queue_release(a->queue, a->peeked), "");
    if (is(line, "done")) {
        status = SPORK_OK;
        for (long long i = 0; i < (given > 0 ? numbers[0] : 1) && status == SPORK_OK; i++)
            status = spork_queue_task_done(a->queue);
        return say(a, status, "");
    }
    if (is(line, "join")) return say(a, spork_queue_join(a->queue, first_ms), "");
    if (is(line, "size")) return say(a, SPORK_OK, " %lu", (unsigned long)spork_queue_size(a->queue));
    if (is(line, "drop")) return say(a, spork_queue_drop(a->queue, (int)numbers[0]), "");
    if (is(line, "close")) return say(a, spork_queue_close(a->queue), "");
    if (is(line, "free")) {
        if (spork_keep(a->queue) != SPORK_OK) return say(a, SPORK_INTERNAL, " cannot keep");
        spork_queue_free(a->queue);
        return say(a, SPORK_OK, "");
    }
    if (is(line, "delegate")) return say(a, delegate(a, (int)numbers[0]), "");
    return say(a, SPORK_INTERNAL, " what is that");
}

int queues_act(const spork_args *args)
{
    actor a = {0};
    char line[128];
    if (spork_unpack(args, &a.queue, harness_take(&a.hear), harness_take(&a.say)) != SPORK_OK)
        return wrong(111, "unpack");
    while (a.delegate == NULL && hear(&a, line, sizeof line))
        if (!obey(&a, line)) return wrong(2, line);
    if (a.delegate == NULL) return 0;
    spork_process_join(a.delegate, SPORK_FOREVER);
    int code = spork_process_exitcode(a.delegate);
    spork_process_free(a.delegate);
    return code;
}

/* ---- many messages ---- */

uint64_t queues_mark(int producer, int number)
{
    uint64_t mark = ((uint64_t)(unsigned)producer << 32 | (unsigned)number) * 0x9E3779B97F4A7C15u;
    return (mark ^ mark >> 31) * 0xD6E8FEB86659FD93u;
}

int queues_produce_here(spork_queue *queue, int producer, int count, size_t largest)
{
    unsigned char *data = malloc(largest + 1);
    if (data == NULL) abort();
    for (int n = 0; n < count; n++) {
        size_t size = n % 97 == 5 ? largest : (size_t)((unsigned)n * 7919u % 1500u) % (largest + 1);
        queues_fill(data, size, (uint32_t)(n + producer));
        spork_status status =
            spork_queue_put(queue, spork_pack(producer, n, spork_bytes_of(data, size), queues_sum(data, size)),
                            harness_helper_patience_ms());
        if (status != SPORK_OK) {
            free(data);
            return wrong(2, "put");
        }
    }
    free(data);
    return 0;
}

int queues_consume_here(spork_queue *queue, queues_result *result)
{
    int last[QUEUES_PRODUCERS], producer, number;
    spork_args *message;
    spork_bytes bytes;
    uint32_t sum;
    for (int i = 0; i < QUEUES_PRODUCERS; i++) last[i] = -1;
    for (;;) {
        spork_status status = spork_queue_get(queue, &message, harness_helper_patience_ms());
        if (status == SPORK_CLOSED) return message == NULL ? 0 : 7;
        if (status != SPORK_OK) return wrong(3, "get");
        if (spork_unpack(message, &producer, &number, &bytes, &sum) != SPORK_OK) return wrong(4, "unpack");
        if (producer < 0 || producer >= QUEUES_PRODUCERS || number <= last[producer]) return wrong(5, "order");
        if (queues_sum(bytes.data, bytes.size) != sum) return wrong(6, "content");
        last[producer] = number;
        result->count++;
        result->sum += queues_mark(producer, number);
        spork_args_free(message);
    }
}

int queues_produce(const spork_args *args)
{
    spork_queue *queue;
    int producer, count;
    size_t largest;
    if (spork_unpack(args, &queue, &producer, &count, &largest) != SPORK_OK) return wrong(111, "unpack");
    return queues_produce_here(queue, producer, count, largest);
}

int queues_consume(const spork_args *args)
{
    spork_queue *queue;
    harness_end *writer;
    queues_result result = {0, 0};
    if (spork_unpack(args, &queue, harness_take(&writer)) != SPORK_OK) return wrong(111, "unpack");
    int code = queues_consume_here(queue, &result);
    return harness_write(writer, &result, sizeof result) ? code : wrong(8, "write");
}

/* ---- others ---- */

int queues_put_sizes(const spork_args *args)
{
    spork_queue *queue;
    const uint64_t *sizes;
    size_t count;
    bool die;
    if (spork_unpack(args, &queue, spork_array_into(&sizes, &count), &die) != SPORK_OK) return wrong(111, "unpack");
    actor a = {.queue = queue};
    for (size_t i = 0; i < count; i++)
        if (put(&a, (size_t)sizes[i], (uint32_t)i, harness_helper_patience_ms()) != SPORK_OK) return wrong(2, "put");
    if (die) queues_die();
    return 0;
}

int queues_one(const spork_args *args)
{
    spork_queue *queue;
    int ms;
    if (spork_unpack(args, &queue, &ms) != SPORK_OK) return wrong(111, "unpack");
    spork_sleep(ms);
    return spork_queue_put_bytes(queue, "one", 3, harness_helper_patience_ms()) == SPORK_OK ? 0 : wrong(2, "put");
}

int queues_hold(const spork_args *args)
{
    spork_queue *queue;
    if (spork_unpack(args, &queue) != SPORK_OK) return wrong(111, "unpack");
    if (spork_queue_put_bytes(queue, "here", 4, harness_helper_patience_ms()) != SPORK_OK) return wrong(2, "put");
    spork_sleep(SPORK_FOREVER);
    return 0;
}

int queues_count_up(const spork_args *args)
{
    spork_queue *queue;
    spork_status status = SPORK_OK;
    if (spork_unpack(args, &queue) != SPORK_OK) return wrong(111, "unpack");
    for (int n = 0; status == SPORK_OK; n++)
        status = spork_queue_put_bytes(queue, &n, sizeof n, harness_helper_patience_ms());
    return status == SPORK_CLOSED ? 20 : wrong(2, "put");
}

int queues_tell(const spork_args *args)
{
    spork_queue *queue;
    harness_end *writer;
    int number;
    size_t size;
    spork_status status;
    if (spork_unpack(args, &queue, harness_take(&writer)) != SPORK_OK) return wrong(111, "unpack");
    while ((status = spork_queue_get_bytes(queue, &number, sizeof number, &size, harness_helper_patience_ms())) ==
           SPORK_OK) {
        if (size != sizeof number) return wrong(2, "size");
        if (!harness_write(writer, &number, sizeof number)) return wrong(3, "write");
    }
    return status == SPORK_CLOSED ? 10 : wrong(4, "get");
}

int queues_source(const spork_args *args)
{
    spork_queue *queue;
    spork_status status = SPORK_OK;
    if (spork_unpack(args, &queue) != SPORK_OK) return wrong(111, "unpack");
    for (int n = 0; status == SPORK_OK; n++)
        status = spork_queue_put(queue, spork_pack(n, "of the source"), harness_helper_patience_ms());
    return status == SPORK_CLOSED ? 20 : wrong(2, "put");
}

int queues_filter(const spork_args *args)
{
    spork_queue *in, *out;
    spork_args *message;
    const char *text;
    int number;
    spork_status status;
    if (spork_unpack(args, &in, &out) != SPORK_OK) return wrong(111, "unpack");
    while ((status = spork_queue_get(in, &message, harness_helper_patience_ms())) == SPORK_OK) {
        if (spork_unpack(message, &number, &text) != SPORK_OK) return wrong(2, "unpack");
        status = spork_queue_put(out, spork_pack(number * 2, text), harness_helper_patience_ms());
        spork_args_free(message);
        if (status == SPORK_CLOSED) return 20;
        if (status != SPORK_OK) return wrong(3, "put");
    }
    return status == SPORK_CLOSED ? 10 : wrong(4, "get");
}

int queues_sink(const spork_args *args)
{
    spork_queue *in;
    harness_end *writer;
    spork_args *message;
    const char *text;
    int number;
    spork_status status;
    if (spork_unpack(args, &in, harness_take(&writer)) != SPORK_OK) return wrong(111, "unpack");
    for (int n = 0; (status = spork_queue_get(in, &message, harness_helper_patience_ms())) == SPORK_OK; n++) {
        if (spork_unpack(message, &number, &text) != SPORK_OK) return wrong(2, "unpack");
        if (number != 2 * n) return wrong(3, "order");
        spork_args_free(message);
        if (n == 20 && !harness_write(writer, "f", 1)) return wrong(4, "write");
    }
    return status == SPORK_CLOSED ? 10 : wrong(5, "get");
}

int queues_sixteen(const spork_args *args)
{
    spork_queue *q[16];
    if (spork_unpack(args, &q[0], &q[1], &q[2], &q[3], &q[4], &q[5], &q[6], &q[7], &q[8], &q[9], &q[10], &q[11], &q[12],
                     &q[13], &q[14], &q[15]) != SPORK_OK)
        return wrong(111, "unpack");
    for (int i = 0; i < 16; i++)
        if (spork_queue_put(q[i], spork_pack(i), harness_helper_patience_ms()) != SPORK_OK) return wrong(2, "put");
    return 0;
}

int queues_two(const spork_args *args)
{
    spork_queue *one, *two;
    char byte = 0;
    if (spork_unpack(args, &one, &two) != SPORK_OK) return wrong(111, "unpack");
    if (spork_queue_put_bytes(one, "x", 1, harness_helper_patience_ms()) != SPORK_OK) return wrong(2, "put");
    if (spork_queue_get_bytes(two, &byte, 1, NULL, harness_helper_patience_ms()) != SPORK_OK) return wrong(3, "get");
    return byte == 'x' ? 0 : wrong(4, "content");
}

int queues_two_one_after_the_other(const spork_args *args)
{
    static char large[700000]; /* for which the memory of the queue has to grow, by its handle */
    spork_queue *first, *second;
    int then;
    if (spork_unpack(args, &first, &second, &then) != SPORK_OK) return wrong(111, "unpack");
    spork_queue *freed = then == 1 ? second : first, *left = then == 1 ? first : second;
    if (spork_keep(freed) != SPORK_OK) return wrong(2, "keep");
    spork_queue_free(freed);
    if (spork_queue_put_bytes(left, large, sizeof large, harness_helper_patience_ms()) != SPORK_OK)
        return wrong(3, "put");
    return 0;
}

int queues_not_shared(const spork_args *args)
{
    uint64_t address;
    char byte;
    spork_args *message;
    void *room;
    spork_bytes bytes = {NULL, 0};
    if (spork_unpack(args, &address) != SPORK_OK) return wrong(111, "unpack");
    spork_queue *q = (spork_queue *)(uintptr_t)address;
    const int statuses[] = {(int)spork_queue_put(q, spork_pack(1), 0),
                            (int)spork_queue_get(q, &message, 0),
                            (int)spork_queue_put_bytes(q, "x", 1, 0),
                            (int)spork_queue_get_bytes(q, &byte, 1, NULL, 0),
                            (int)spork_queue_drop(q, SPORK_PUT),
                            (int)spork_queue_close(q),
                            (int)spork_queue_task_done(q),
                            (int)spork_queue_join(q, 0),
                            (int)spork_queue_reserve(q, 1, &room, 0),
                            (int)spork_queue_commit(q, &byte, 1),
                            (int)spork_queue_peek(q, &bytes, 0),
                            (int)spork_queue_release(q, bytes)};
    for (int i = 0; i < 12; i++)
        if (statuses[i] != SPORK_NOT_SHARED) {
            fprintf(stderr, "call %d: %s\n", i, spork_status_name((spork_status)statuses[i]));
            return 100 + i;
        }
    return spork_queue_size(q) == 0 ? 0 : 99;
}

int queues_fifty(const spork_args *args)
{
    enum { COUNT = 50 };
    spork_queue *q[COUNT];
    int number;
    spork_args *message;
    (void)args;
    for (int i = 0; i < COUNT; i++)
        if ((q[i] = spork_queue_new(0, 0)) == NULL) return wrong(1, "new");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++)
            if (spork_queue_put(q[i], spork_pack(100 * i + round), 0) != SPORK_OK) return wrong(2, "put");
    }
    for (int i = COUNT - 1; i >= 0; i--) {
        for (int round = 0; round < 3; round++) {
            if (spork_queue_get(q[i], &message, 0) != SPORK_OK) return wrong(3, "get");
            if (spork_unpack(message, &number) != SPORK_OK || number != 100 * i + round) return wrong(4, "content");
            spork_args_free(message);
        }
        if (i % 2 == 0) spork_queue_free(q[i]); /* the others go with the process */
    }
    return 0;
}

int queues_die_closing(const spork_args *args)
{
    spork_queue *q;
    if (spork_unpack(args, &q) != SPORK_OK) return 100;
    spork__point_arm(SPORK__AT_QUEUE_CLOSING, 1);
    return spork_queue_close(q) == SPORK_OK ? 0 : 1;
}

static int come_to_point(const spork_args *args, void (*arm)(spork__point point, long nth))
{
    spork_queue *q;
    int point;
    size_t size;
    spork_args *message;
    if (spork_unpack(args, &q, &point, &size) != SPORK_OK) return 100;
    void *bytes = calloc(1, size + 1);
    if (bytes == NULL) return 101;
    arm((spork__point)point, 1);
    if (size > 0) return (int)spork_queue_put(q, spork_pack(spork_bytes_of(bytes, size)), SPORK_FOREVER);
    return (int)spork_queue_get(q, &message, SPORK_FOREVER);
}

int queues_send_and_die(const spork_args *args)
{
    spork_queue *queue;
    spork_connection *connection;
    if (spork_unpack(args, &queue, &connection) != SPORK_OK) return 1;
    if (spork_connection_send(connection, spork_pack(spork_put_only(queue)), SPORK_FOREVER) !=
        SPORK_OK)
        return 2;
    queues_die();
    return 3;
}

int queues_free_with_open(const spork_args *args)
{
    spork_queue *queue;
    void *data;
    size_t size;
    int n;
    if (spork_unpack(args, &queue, &n) != SPORK_OK || spork_keep(queue) != SPORK_OK) return 1;
    for (; n > 0 && queues_receive(queue, &data, &size, SPORK_FOREVER) == SPORK_OK; n--) free(data);
    spork_queue_free(queue);
    for (;;) spork_sleep(1000);
}

int queues_get_one(const spork_args *args)
{
    spork_queue *queue;
    void *data;
    size_t size;
    int point;
    size_t none;
    if (spork_unpack(args, &queue, &point, &none) != SPORK_OK) return 1;
    if (queues_receive(queue, &data, &size, SPORK_FOREVER) != SPORK_OK) return 2;
    free(data);
    return 0;
}

int queues_count_all(const spork_args *args)
{
    spork_queue *queue, *back;
    void *data;
    size_t size;
    int count = 0;
    if (spork_unpack(args, &queue, &back) != SPORK_OK) return 1;
    for (; queues_receive(queue, &data, &size, SPORK_FOREVER) == SPORK_OK; count++) free(data);
    if (spork_last_status() != SPORK_CLOSED) return 2;
    return spork_queue_put(back, spork_pack(count), SPORK_FOREVER) == SPORK_OK ? 0 : 3;
}

int queues_die_at(const spork_args *args) { return come_to_point(args, spork__point_arm); }
int queues_stop_at(const spork_args *args) { return come_to_point(args, spork__point_arm_stop); }
