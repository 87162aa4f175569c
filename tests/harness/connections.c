#ifndef _WIN32
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connections.h"
#include "fault.h"

/* Says what was not as it should be, and where; the place is the exit code. */
static int wrong(int place, const char *what)
{
    fprintf(stderr, "%s (%d): %s\n", what, place, spork_error());
    return place;
}

void connections_fill(void *data, size_t size, uint32_t seed)
{
    unsigned char *bytes = data;
    uint32_t state = seed * 2654435761u + 1;
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = (unsigned char)(state >> 24);
    }
}

uint64_t connections_checksum(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint64_t sum = 14695981039346656037u;
    for (size_t i = 0; i < size; i++) sum = (sum ^ bytes[i]) * 1099511628211u;
    return sum;
}

spork_status connections_receive(spork_connection *connection, void **data, size_t *size, int timeout_ms)
{
    *data = NULL;
    *size = 0;
    spork_status status = spork_connection_recv_bytes(connection, NULL, 0, size, timeout_ms);
    if (status != SPORK_OK && status != SPORK_TOO_SMALL) return status;
    *data = malloc(*size + 1);
    if (*data == NULL) abort();
    if (status == SPORK_TOO_SMALL) status = spork_connection_recv_bytes(connection, *data, *size, size, timeout_ms);
    if (status != SPORK_OK) {
        free(*data);
        *data = NULL;
    }
    return status;
}

int connections_echo_from(spork_connection *in, spork_connection *out)
{
    for (;;) {
        void *data;
        size_t size;
        spork_status status = connections_receive(in, &data, &size, harness_helper_patience_ms());
        if (status == SPORK_CLOSED) return 0;
        if (status != SPORK_OK) return wrong(2, "receive");
        status = spork_connection_send_bytes(out, data, size, harness_helper_patience_ms());
        free(data);
        if (status != SPORK_OK) return wrong(3, "send");
    }
}

int connections_echo(const spork_args *args)
{
    spork_connection *end;
    if (spork_unpack(args, &end) != SPORK_OK) return wrong(111, "unpack");
    return connections_echo_from(end, end);
}

int connections_relay(const spork_args *args)
{
    spork_connection *in, *out;
    if (spork_unpack(args, &in, &out) != SPORK_OK) return wrong(111, "unpack");
    return connections_echo_from(in, out);
}

int connections_add(const spork_args *args)
{
    spork_connection *end;
    if (spork_unpack(args, &end) != SPORK_OK) return wrong(111, "unpack");
    for (;;) {
        spork_args *message;
        const char *text;
        int number;
        const double *doubles;
        size_t count;
        double sum = 0;
        spork_status status = spork_connection_recv(end, &message, harness_helper_patience_ms());
        if (status == SPORK_CLOSED) return message == NULL ? 0 : 4;
        if (status != SPORK_OK) return wrong(2, "receive");
        if (spork_unpack(message, &text, &number, spork_array_into(&doubles, &count)) != SPORK_OK)
            return wrong(3, "unpack");
        for (size_t i = 0; i < count; i++) sum += doubles[i];
        status = spork_connection_send(end, spork_pack(text, number + 1, sum), harness_helper_patience_ms());
        spork_args_free(message);
        if (status != SPORK_OK) return wrong(5, "send");
    }
}

/* Message n of the numbered ones: small ones of all lengths, and now and then one that is larger than a pipe. */
enum { LARGEST = 100000 };
static size_t length_of(int n) { return n % 97 == 5 ? LARGEST : (size_t)((unsigned)n * 7919u % 2000); }

int connections_produce(const spork_args *args)
{
    static unsigned char data[LARGEST];
    spork_connection *out;
    int count;
    if (spork_unpack(args, &out, &count) != SPORK_OK) return wrong(111, "unpack");
    for (int n = 0; n < count; n++) {
        size_t size = length_of(n);
        connections_fill(data, size, (uint32_t)n);
        spork_status status =
            spork_connection_send(out, spork_pack(n, spork_bytes_of(data, size), connections_checksum(data, size)),
                                  harness_helper_patience_ms());
        if (status != SPORK_OK) return wrong(2, "send");
    }
    return 0;
}

int connections_consume(const spork_args *args)
{
    spork_connection *in;
    spork_args *message;
    int count, number;
    spork_bytes bytes;
    uint64_t sum;
    if (spork_unpack(args, &in, &count) != SPORK_OK) return wrong(111, "unpack");
    for (int n = 0; n < count; n++) {
        if (spork_connection_recv(in, &message, harness_helper_patience_ms()) != SPORK_OK) return wrong(2, "receive");
        if (spork_unpack(message, &number, &bytes, &sum) != SPORK_OK) return wrong(3, "unpack");
        if (number != n || bytes.size != length_of(n)) return wrong(4, "order");
        if (connections_checksum(bytes.data, bytes.size) != sum) return wrong(5, "content");
        spork_args_free(message);
    }
    return spork_connection_recv(in, &message, harness_helper_patience_ms()) == SPORK_CLOSED ? 0 : wrong(6, "no end");
}

int connections_hold(const spork_args *args)
{
    spork_connection *end, *barrier;
    char byte;
    if (spork_unpack(args, &end, &barrier) != SPORK_OK) return wrong(111, "unpack");
    return spork_connection_recv_bytes(barrier, &byte, 1, NULL, harness_helper_patience_ms()) == SPORK_CLOSED
               ? 0
               : wrong(2, "barrier");
}

int connections_say(const spork_args *args)
{
    spork_connection *out;
    const char *text;
    if (spork_unpack(args, &out, &text) != SPORK_OK) return wrong(111, "unpack");
    return spork_connection_send_bytes(out, text, strlen(text), harness_helper_patience_ms()) == SPORK_OK
               ? 0
               : wrong(2, "send");
}

int connections_wait(const spork_args *args)
{
    spork_connection *end;
    void *data;
    size_t size;
    if (spork_unpack(args, &end) != SPORK_OK) return wrong(111, "unpack");
    if (spork_connection_send_bytes(end, "ready", 5, harness_helper_patience_ms()) != SPORK_OK) return wrong(2, "send");
    while (connections_receive(end, &data, &size, harness_helper_patience_ms()) == SPORK_OK) free(data);
    return spork_last_status() == SPORK_CLOSED ? 0 : wrong(3, "receive");
}

int connections_die_sending(const spork_args *args)
{
    spork_connection *out;
    size_t size;
    if (spork_unpack(args, &out, &size) != SPORK_OK) return wrong(111, "unpack");
    void *data = malloc(size);
    if (data == NULL) return 1;
    connections_fill(data, size, 1);
    for (int i = 0; i < 2; i++)
        if (spork_connection_send_bytes(out, "before", 6, harness_helper_patience_ms()) != SPORK_OK)
            return wrong(2, "send");
    spork_status status = spork_connection_send_bytes(out, data, size, SPORK_FOREVER); /* here it is killed */
    free(data);
    return 100 + (int)status;
}

int connections_not_shared(const spork_args *args)
{
    spork_connection *out;
    uint64_t address;
    char byte;
    spork_args *message;
    if (spork_unpack(args, &out, &address) != SPORK_OK) return wrong(111, "unpack");
    spork_connection *other = (spork_connection *)(uintptr_t)address;
    const int statuses[] = {(int)spork_connection_send(other, spork_pack(1), 0),
                            (int)spork_connection_send_bytes(other, "x", 1, 0),
                            (int)spork_connection_recv(other, &message, 0),
                            (int)spork_connection_recv_bytes(other, &byte, 1, NULL, 0),
                            (int)spork_connection_poll(other, 0),
                            (int)spork_connection_send(out, spork_pack(other), 0)};
    for (int i = 0; i < 6; i++)
        if (statuses[i] != SPORK_NOT_SHARED) return wrong(100 + statuses[i], "status");
    return spork_connection_send_bytes(out, "not shared", 10, harness_helper_patience_ms()) == SPORK_OK
               ? 0
               : wrong(2, "send");
}

int connections_serve(const spork_args *args)
{
    spork_connection *end, *given;
    spork_args *message;
    if (spork_unpack(args, &end) != SPORK_OK) return wrong(111, "unpack");
    while (spork_connection_recv(end, &message, harness_helper_patience_ms()) == SPORK_OK) {
        if (spork_unpack(message, &given) != SPORK_OK) return wrong(2, "unpack");
        if (spork_connection_send_bytes(given, "served", 6, harness_helper_patience_ms()) != SPORK_OK)
            return wrong(3, "send");
        spork_args_free(message);
    }
    return spork_last_status() == SPORK_CLOSED ? 0 : wrong(4, "receive");
}

int connections_number(const spork_args *args)
{
    spork_connection *end, *c[16];
    spork_args *message;
    if (spork_unpack(args, &end) != SPORK_OK) return wrong(111, "unpack");
    if (spork_connection_recv(end, &message, harness_helper_patience_ms()) != SPORK_OK) return wrong(2, "receive");
    if (spork_unpack(message, &c[0], &c[1], &c[2], &c[3], &c[4], &c[5], &c[6], &c[7], &c[8], &c[9], &c[10], &c[11],
                     &c[12], &c[13], &c[14], &c[15]) != SPORK_OK)
        return wrong(3, "unpack");
    for (int i = 0; i < 16; i++)
        if (spork_connection_send(c[i], spork_pack(i), harness_helper_patience_ms()) != SPORK_OK)
            return wrong(4, "send");
    spork_args_free(message);
    return spork_connection_recv(end, &message, harness_helper_patience_ms()) == SPORK_CLOSED ? 0 : wrong(5, "no end");
}

/* Until the other side has closed its end. */
static int stay(spork_connection *end, int place)
{
    return spork_connection_recv_bytes(end, NULL, 0, NULL, harness_helper_patience_ms()) == SPORK_CLOSED
               ? 0
               : wrong(place, "no end");
}

int connections_give_back(const spork_args *args)
{
    spork_connection *end, *reader, *writer;
    bool stays;
    if (spork_unpack(args, &end, &stays) != SPORK_OK) return wrong(111, "unpack");
    if (spork_pipe(&reader, &writer) != SPORK_OK) return wrong(2, "pipe");
    if (spork_connection_send(end, spork_pack("a reader", spork_move(reader)), harness_helper_patience_ms()) !=
        SPORK_OK)
        return wrong(3, "send");
    if (spork_connection_send_bytes(writer, "made", 4, harness_helper_patience_ms()) != SPORK_OK)
        return wrong(4, "say");
    spork_connection_free(writer);
    return stays ? stay(end, 5) : 0;
}

int connections_many_objects(const spork_args *args)
{
    spork_connection *end, *reader, *writer;
    int count;
    if (spork_unpack(args, &end, &count) != SPORK_OK) return wrong(111, "unpack");
    for (int i = 0; i < count; i++) {
        if (spork_pipe(&reader, &writer) != SPORK_OK) return wrong(2, "pipe");
        if (spork_connection_send(writer, spork_pack(i), harness_helper_patience_ms()) != SPORK_OK)
            return wrong(3, "say");
        spork_connection_free(writer);
        if (spork_connection_send(end, spork_pack(i, spork_move(reader)), harness_helper_patience_ms()) != SPORK_OK)
            return wrong(4, "send");
    }
    return stay(end, 5);
}

#ifdef _WIN32

int connections_no_sigpipe(const spork_args *args)
{
    (void)args;
    return 0;
}
int connections_no_sigpipe_of_old(const spork_args *args)
{
    (void)args;
    return 0;
}
int connections_pending_sigpipe(const spork_args *args)
{
    (void)args;
    return 0;
}
int connections_no_descriptors(const spork_args *args)
{
    (void)args;
    return 0;
}
int connections_peak(const spork_args *args)
{
    (void)args;
    return 0;
}

#else

/* Whether a SIGPIPE is pending. */
static bool pending(void)
{
    sigset_t set;
    sigpending(&set);
    return sigismember(&set, SIGPIPE) == 1;
}

/* Sends into connections that nobody can receive from, small and large; 0 if each said SPORK_CLOSED. */
static int send_to_nobody(void)
{
    static char large[1 << 20];
    for (int round = 0; round < 4; round++) {
        spork_connection *reader, *writer;
        bool duplex = round % 2 != 0;
        if ((duplex ? spork_pipe_duplex : spork_pipe)(&reader, &writer) != SPORK_OK) return wrong(2, "pipe");
        if (round > 1 && spork_connection_send_bytes(writer, "x", 1, harness_helper_patience_ms()) != SPORK_OK)
            return wrong(3, "send");
        spork_connection_free(reader);
        if (spork_connection_send_bytes(writer, "x", 1, SPORK_FOREVER) != SPORK_CLOSED) return wrong(4, "small");
        if (spork_connection_send_bytes(writer, large, sizeof large, SPORK_FOREVER) != SPORK_CLOSED)
            return wrong(5, "large");
        if (spork_connection_send(writer, spork_pack(1, "two"), 0) != SPORK_CLOSED) return wrong(6, "values");
        if (spork_connection_send_bytes(writer, "", 0, 0) != SPORK_CLOSED) return wrong(7, "nothing");
        spork_connection_free(writer);
    }
    return 0;
}

int connections_no_sigpipe(const spork_args *args)
{
    (void)args;
    struct sigaction now;
    sigset_t blocked;
    signal(SIGPIPE, SIG_DFL);
    int code = send_to_nobody();
    if (code != 0) return code;
    if (sigaction(SIGPIPE, NULL, &now) != 0 || now.sa_handler != SIG_DFL) return wrong(20, "the disposition changed");
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    if (sigismember(&blocked, SIGPIPE) != 0) return wrong(21, "the mask changed");
    return pending() ? wrong(22, "a signal was left") : 0;
}

int connections_no_sigpipe_of_old(const spork_args *args)
{
    spork_connection *reader, *writer;
    char got;
    if (spork_pipe(&reader, &writer) != SPORK_OK) return wrong(30, spork_error());
    spork__fault_arm(SPORK__FAULT_SYSTEM, 1, EOPNOTSUPP, false); /* as a kernel answers that does not know the flag */
    spork_status status = spork_connection_send_bytes(writer, "x", 1, 0);
    spork__fault_arm(SPORK__FAULT_SYSTEM, 0, 0, false);
#if SPORK_HAVE_PWRITEV2
    if (status != SPORK_OK) return wrong(31, "nothing was sent");
    if (spork_connection_recv_bytes(reader, &got, 1, NULL, harness_helper_patience_ms()) != SPORK_OK || got != 'x')
        return wrong(32, "nothing came");
#else
    (void)got, (void)status; /* there is but one way, and it was made to fail */
#endif
    spork_connection_free(reader);
    spork_connection_free(writer);
    return connections_no_sigpipe(args);
}

int connections_pending_sigpipe(const spork_args *args)
{
    bool whole;
    sigset_t set, blocked;
    if (spork_unpack(args, &whole) != SPORK_OK) return wrong(111, "unpack");
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int code = send_to_nobody();
    if (code != 0) return code;
    if (pending()) return wrong(20, "a signal was left");
    if (whole)
        kill(getpid(), SIGPIPE);
    else
        raise(SIGPIPE);
    if (!pending()) return wrong(21, "not pending");
    code = send_to_nobody();
    if (code != 0) return code;
    if (!pending()) return wrong(22, "the program's own signal was taken");
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    if (sigismember(&blocked, SIGPIPE) != 1) return wrong(23, "the mask changed");
    signal(SIGPIPE, SIG_IGN); /* forgets it */
    return 0;
}

int connections_no_descriptors(const spork_args *args)
{
    (void)args;
    spork_connection *a, *b, *reader, *writer, *r = NULL, *w = NULL;
    spork_args *message;
    struct rlimit limit, tight;
    if (spork_pipe_duplex(&a, &b) != SPORK_OK || spork_pipe(&reader, &writer) != SPORK_OK) return wrong(2, "pipe");
    if (spork_connection_send(a, spork_pack(writer, 1), harness_helper_patience_ms()) != SPORK_OK)
        return wrong(3, "send");
    getrlimit(RLIMIT_NOFILE, &limit);
    tight = limit;
    tight.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &tight);
    spork_status one_way = spork_pipe(&r, &w);
    if (one_way != SPORK_NO_SPACE || r != NULL || w != NULL) return wrong(4, "pipe at the limit");
    r = a, w = b;
    if (spork_pipe_duplex(&r, &w) != SPORK_NO_SPACE || r != NULL || w != NULL) return wrong(5, "duplex at the limit");
    if (spork_connection_recv(b, &message, harness_helper_patience_ms()) != SPORK_NO_SPACE || message != NULL ||
        spork_error()[0] == 0)
        return wrong(6, "an object at the limit");
    if (spork_connection_send(a, spork_pack(2), harness_helper_patience_ms()) != SPORK_OK) return wrong(9, "send");
    if (spork_connection_recv(b, &message, harness_helper_patience_ms()) != SPORK_OK)
        return wrong(10, "the next message");
    spork_args_free(message);
    setrlimit(RLIMIT_NOFILE, &limit);
    if (spork_pipe(&r, &w) != SPORK_OK) return wrong(7, "pipe");
    spork_connection_free(writer);
    spork_connection_free(b); /* with what is left of the message: now nobody has the writer */
    if (spork_connection_recv(reader, &message, harness_helper_patience_ms()) != SPORK_CLOSED)
        return wrong(8, "somebody has the writer");
    return 0;
}

static long peak_mib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
    return usage.ru_maxrss >> 20;
#else
    return usage.ru_maxrss >> 10;
#endif
}

int connections_peak(const spork_args *args)
{
    (void)args;
    static const uint64_t lengths[] = {(1u << 29) + 1,          INT32_MAX,         (uint64_t)1 << 31,
                                       (uint64_t)1 << 40,       (uint64_t)1 << 48, INT64_MAX,
                                       (uint64_t)INT64_MAX + 1, UINT64_MAX - 7,    UINT64_MAX};
    static char room[1 << 17];
    memset(room, 1, sizeof room);
    long before = peak_mib();
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0] * 4; i++) {
        spork_connection *reader, *writer;
        spork_args *message;
        uint64_t length = lengths[i / 4];
        unsigned char wire[12];
        bool is_long = length > INT32_MAX;
        if ((i % 2 != 0 ? spork_pipe_duplex : spork_pipe)(&reader, &writer) != SPORK_OK) return wrong(200, "pipe");
        int fd = (int)spork_connection_detach(writer);
        for (int k = 0; k < 4; k++) wire[k] = (unsigned char)((is_long ? UINT32_MAX : length) >> (24 - 8 * k));
        for (int k = 0; k < 8; k++) wire[4 + k] = (unsigned char)(length >> (56 - 8 * k));
        if (write(fd, wire, is_long ? 12 : 4) < 4 || write(fd, room, 1000) != 1000) return wrong(201, "write");
        spork_status status = SPORK_OK;
        for (int k = 0; k < 3 && status != SPORK_CLOSED; k++) {
            if (i % 4 < 2)
                status = spork_connection_recv(reader, &message, k == 0 ? 5 : harness_helper_patience_ms());
            else
                status = spork_connection_recv_bytes(reader, room, sizeof room, NULL,
                                                     k == 0 ? 5 : harness_helper_patience_ms());
            if (status == SPORK_OK) return wrong(202, "received");
            if (k == 0) close(fd);
        }
        spork_connection_free(reader);
    }
    long grown = peak_mib() - before;
    return grown > 199 ? 199 : (int)grown;
}

#endif
