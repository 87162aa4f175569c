/* Connections beside the system calls below them: a message there and back, and large ones in one direction. */
#define _GNU_SOURCE
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spork/spork.h>

#ifndef _WIN32

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SMALL = 64, LARGE = 65536, TRIPS = 2000, LARGE_COUNT = 4000 };

static char buffer[LARGE];

static void write_all(int fd, const void *data, size_t size)
{
    for (const char *at = data; size > 0;) {
        ssize_t n = write(fd, at, size);
        if (n <= 0) exit(1);
        at += n;
        size -= (size_t)n;
    }
}

static void read_all(int fd, void *data, size_t size)
{
    for (char *at = data; size > 0;) {
        ssize_t n = read(fd, at, size);
        if (n <= 0) exit(1);
        at += n;
        size -= (size_t)n;
    }
}

static void spork_send(spork_connection *c, size_t size)
{
    SPORK_MUST(spork_connection_send_bytes(c, buffer, size, SPORK_FOREVER));
}

static void spork_receive(spork_connection *c, size_t size)
{
    size_t got;
    SPORK_MUST(spork_connection_recv_bytes(c, buffer, sizeof buffer, &got, SPORK_FOREVER));
    if (got != size) exit(1);
}

/* Two one-way lines, or the two ends of a duplex one. */
typedef struct lines {
    int raw[4];                 /* ours to read and write, theirs to read and write */
    spork_connection *spork[4]; /* likewise */
} lines;

static lines open_lines(bool duplex, bool raw)
{
    lines l;
    int one[2], other[2];
    memset(&l, 0, sizeof l);
    if (raw && duplex) {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, one) != 0) exit(1);
        l.raw[0] = l.raw[1] = one[0];
        l.raw[2] = l.raw[3] = one[1];
    } else if (raw) {
        if (pipe(one) != 0 || pipe(other) != 0) exit(1);
        l.raw[0] = one[0], l.raw[3] = one[1], l.raw[2] = other[0], l.raw[1] = other[1];
    } else if (duplex) {
        SPORK_MUST(spork_pipe_duplex(&l.spork[0], &l.spork[2]));
        l.spork[1] = l.spork[0];
        l.spork[3] = l.spork[2];
    } else {
        SPORK_MUST(spork_pipe(&l.spork[0], &l.spork[3]));
        SPORK_MUST(spork_pipe(&l.spork[2], &l.spork[1]));
    }
    return l;
}

static void close_lines(lines *l)
{
    for (int i = 0; i < 4; i++) {
        if (l->raw[i] != 0 && (i == 0 || l->raw[i] != l->raw[i - 1])) close(l->raw[i]);
        if (l->spork[i] != NULL && (i == 0 || l->spork[i] != l->spork[i - 1])) spork_connection_free(l->spork[i]);
    }
}

static void pass(lines *l, int index, bool send, size_t size)
{
    if (l->spork[index] != NULL) {
        if (send)
            spork_send(l->spork[index], size);
        else
            spork_receive(l->spork[index], size);
    } else if (send) {
        write_all(l->raw[index], buffer, size);
    } else {
        read_all(l->raw[index], buffer, size);
    }
}

/* Microseconds for a message there and back. */
static double round_trip(bool duplex, bool raw)
{
    lines l = open_lines(duplex, raw);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < TRIPS; i++) {
            pass(&l, 2, false, SMALL);
            pass(&l, 3, true, SMALL);
        }
        _exit(0);
    }
    double begin = spork_time();
    for (int i = 0; i < TRIPS; i++) {
        pass(&l, 1, true, SMALL);
        pass(&l, 0, false, SMALL);
    }
    double us = bench_since_us(begin) / TRIPS;
    waitpid(child, NULL, 0);
    close_lines(&l);
    return us;
}

/* GB/s from a child to us. */
static double one_way(bool duplex, bool raw)
{
    lines l = open_lines(duplex, raw);
    double begin = spork_time();
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < LARGE_COUNT; i++) pass(&l, 3, true, LARGE);
        _exit(0);
    }
    for (int i = 0; i < LARGE_COUNT; i++) pass(&l, 0, false, LARGE);
    double rate = (double)LARGE_COUNT * LARGE / (spork_time() - begin) / 1e9;
    waitpid(child, NULL, 0);
    close_lines(&l);
    return rate;
}

static double trip_pipe(void) { return round_trip(false, false); }
static double trip_raw_pipe(void) { return round_trip(false, true); }
static double trip_socket(void) { return round_trip(true, false); }
static double trip_raw_socket(void) { return round_trip(true, true); }
static double way_pipe(void) { return one_way(false, false); }
static double way_raw_pipe(void) { return one_way(false, true); }
static double way_socket(void) { return one_way(true, false); }
static double way_raw_socket(void) { return one_way(true, true); }

#define CASE(variable, title, u, function) static bench_case variable = {.name = title, .unit = u, .measure = function}
CASE(c_trip_pipe, "connection, round trip", "us", trip_pipe);
CASE(c_trip_raw_pipe, "pipes, round trip", "us", trip_raw_pipe);
CASE(c_trip_socket, "duplex connection, round trip", "us", trip_socket);
CASE(c_trip_raw_socket, "socket pair, round trip", "us", trip_raw_socket);
CASE(c_way_pipe, "connection, 64 KiB", "GB/s", way_pipe);
CASE(c_way_raw_pipe, "pipe, 64 KiB", "GB/s", way_raw_pipe);
CASE(c_way_socket, "duplex connection, 64 KiB", "GB/s", way_socket);
CASE(c_way_raw_socket, "socket pair, 64 KiB", "GB/s", way_raw_socket);

int main(int argc, char **argv)
{
    SPORK_MUST(spork_init(argc, argv));
    spork_set_log(SPORK_LOG_ERROR, NULL, NULL); /* both ends are here on purpose */
    bench_begin(argc, argv, "Connection");
    bench_case *trips[] = {&c_trip_pipe, &c_trip_raw_pipe, &c_trip_socket, &c_trip_raw_socket};
    bench_case *ways[] = {&c_way_pipe, &c_way_raw_pipe, &c_way_socket, &c_way_raw_socket};
    bench_run(trips, 4, bench_rounds(0.5));
    bench_run(ways, 4, bench_rounds(0.5));
    bench_show(trips, 4);
    bench_show(ways, 4);
    bench_at_most("round trip, one-way pipes", &c_trip_pipe, &c_trip_raw_pipe, 1.2);
    bench_at_most("round trip, duplex", &c_trip_socket, &c_trip_raw_socket, 1.2);
    bench_at_least("64 KiB, one-way pipe", &c_way_pipe, &c_way_raw_pipe, 0.9);
    bench_at_least("64 KiB, duplex", &c_way_socket, &c_way_raw_socket, 0.9);
    return bench_end();
}

#else

int main(int argc, char **argv)
{
    bench_begin(argc, argv, "Connection");
    puts("Connections are measured on POSIX systems.");
    return bench_end();
}

#endif
