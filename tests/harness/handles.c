#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <winsock2.h>

#include <ws2tcpip.h>

#include <windows.h>
#else
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connections.h"
#include "handles.h"

/* ---- sockets, whose functions have the same names everywhere ---- */

#ifdef _WIN32
typedef int length;
static SOCKET of(spork_native s) { return (SOCKET)s; }
static void begin(void)
{
    WSADATA about;
    if (WSAStartup(MAKEWORD(2, 2), &about) != 0) abort();
}
static bool under_way(void) { return WSAGetLastError() == WSAEWOULDBLOCK; }
static bool is_full(void) { return under_way(); }
static void set_blocking(spork_native s, bool on)
{
    ioctlsocket(of(s), (long)FIONBIO, &(u_long){!on});
}
void handles_close_socket(spork_native s) { closesocket(of(s)); }
#else
typedef socklen_t length;
static int of(spork_native s) { return (int)s; }
static void begin(void) {}
static bool under_way(void) { return errno == EINPROGRESS; }
static bool is_full(void) { return errno == EAGAIN; }
static void set_blocking(spork_native s, bool on) { fcntl(of(s), F_SETFL, on ? 0 : O_NONBLOCK); }
void handles_close_socket(spork_native s) { close(of(s)); }
#endif

static struct sockaddr_in here(int port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    return address;
}

bool handles_socket(spork_native *made)
{
    begin();
    *made = (spork_native)socket(AF_INET, SOCK_STREAM, 0);
    return *made != -1;
}

bool handles_listen(spork_native *listening, int *port)
{
    struct sockaddr_in address = here(0);
    length size = sizeof address;
    if (!handles_socket(listening) ||
        bind(of(*listening), (struct sockaddr *)&address, size) != 0 ||
        listen(of(*listening), 5) != 0 ||
        getsockname(of(*listening), (struct sockaddr *)&address, &size) != 0)
        return false;
    *port = ntohs(address.sin_port);
    return true;
}

bool handles_connect(spork_native *made, int port)
{
    struct sockaddr_in address = here(port);
    if (!handles_socket(made)) return false;
    set_blocking(*made, false);
    bool done = connect(of(*made), (struct sockaddr *)&address, sizeof address) == 0 || under_way();
    set_blocking(*made, true);
    return done;
}

bool handles_accept(spork_native listening, spork_native *made)
{
    *made = (spork_native)accept(of(listening), NULL, NULL);
    return *made != -1;
}

bool handles_sockets(spork_native ends[2], bool network)
{
#ifndef _WIN32
    int fds[2];
    if (!network) {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return false;
        ends[0] = fds[0];
        ends[1] = fds[1];
        return true;
    }
#endif
    spork_native listening;
    int port;
    (void)network;
    if (!handles_listen(&listening, &port)) return false;
    bool done = handles_connect(&ends[0], port) && handles_accept(listening, &ends[1]);
    handles_close_socket(listening);
    return done;
}

bool handles_fill(spork_native s)
{
    static const char much[65536];
    set_blocking(s, false);
    while (send(of(s), much, sizeof much, 0) > 0) {}
    bool full = is_full();
    set_blocking(s, true);
    return full;
}

bool handles_send_urgent(spork_native s) { return send(of(s), "!", 1, MSG_OOB) == 1; }

bool handles_send(spork_native s, const char *text)
{
    begin();
    return send(of(s), text, (length)strlen(text), 0) == (int)strlen(text);
}

int handles_receive(spork_native s, char *buffer, int size)
{
    begin();
    return (int)recv(of(s), buffer, (length)size, 0);
}

/* ---- other handles ---- */

#ifdef _WIN32

bool handles_pipe(spork_native ends[2])
{
    HANDLE reader, writer;
    if (!CreatePipe(&reader, &writer, NULL, 0)) return false;
    ends[0] = (spork_native)reader;
    ends[1] = (spork_native)writer;
    return true;
}

bool handles_write(spork_native native, const char *text)
{
    DWORD done;
    return WriteFile((HANDLE)native, text, (DWORD)strlen(text), &done, NULL) &&
           done == strlen(text);
}

int handles_read(spork_native native, char *buffer, int size)
{
    DWORD done;
    return ReadFile((HANDLE)native, buffer, (DWORD)size, &done, NULL) ? (int)done : 0;
}

bool handles_is_private(spork_native native)
{
    DWORD flags;
    return GetHandleInformation((HANDLE)native, &flags) && !(flags & HANDLE_FLAG_INHERIT);
}

void handles_close(spork_native native) { CloseHandle((HANDLE)native); }

#else

bool handles_pipe(spork_native ends[2])
{
    int fds[2];
    if (pipe(fds) != 0) return false;
    ends[0] = fds[0];
    ends[1] = fds[1];
    return true;
}

bool handles_write(spork_native native, const char *text)
{
    return write((int)native, text, strlen(text)) == (ssize_t)strlen(text);
}

int handles_read(spork_native native, char *buffer, int size)
{
    return (int)read((int)native, buffer, (size_t)size);
}

bool handles_is_private(spork_native native)
{
    int flags = fcntl((int)native, F_GETFD);
    return flags >= 0 && (flags & FD_CLOEXEC) != 0;
}

void handles_close(spork_native native) { close((int)native); }

#endif

/* ---- targets ---- */

static int wrong(int place, const char *what)
{
    fprintf(stderr, "%s (%d): %s\n", what, place, spork_error());
    return place;
}

int handles_say(const spork_args *args)
{
    spork_handle *handle;
    const char *text;
    if (spork_unpack(args, &handle, &text) != SPORK_OK) return wrong(111, "unpack");
    return handles_write(spork_handle_native(handle), text) ? 0 : wrong(1, "write");
}

int handles_greet(const spork_args *args)
{
    spork_handle *handle;
    const char *text;
    if (spork_unpack(args, &handle, &text) != SPORK_OK) return wrong(111, "unpack");
    spork_native socket = spork_handle_native(handle);
    /* wine's send takes only those sockets that this process has made itself. */
    bool done = harness_wine() ? handles_write(socket, text) : handles_send(socket, text);
    return done ? 0 : wrong(1, "send");
}

int handles_take(const spork_args *args)
{
    spork_connection *from;
    spork_args *message;
    spork_handle *handle;
    spork_status status;
    if (spork_unpack(args, &from) != SPORK_OK) return wrong(111, "unpack");
    while ((status = spork_connection_recv(from, &message, harness_helper_patience_ms())) ==
           SPORK_OK) {
        if (spork_unpack(message, &handle) != SPORK_OK) return wrong(2, "unpack");
        if (!handles_write(spork_handle_native(handle), "taken")) return wrong(3, "write");
        spork_args_free(message);
    }
    return status == SPORK_CLOSED ? 0 : wrong(4, "receive");
}

int handles_echo(const spork_args *args)
{
    spork_handle *first, *second;
    int directions;
    if (spork_unpack(args, &first, &directions, &second) != SPORK_OK) return wrong(111, "unpack");
    spork_connection *in = spork_connection_from(spork_handle_detach(first), directions), *out = in;
    if (directions == SPORK_READ)
        out = spork_connection_from(spork_handle_detach(second), SPORK_WRITE);
    if (in == NULL || out == NULL) return wrong(1, "from");
    int result = connections_echo_from(in, out);
    if (out != in) spork_connection_free(out);
    spork_connection_free(in);
    return result;
}

int handles_not_shared(const spork_args *args)
{
    uint64_t address;
    if (spork_unpack(args, &address) != SPORK_OK) return wrong(111, "unpack");
    spork_handle *handle = (spork_handle *)(uintptr_t)address;
    if (spork_handle_native(handle) != -1) return 1;
    if (spork_handle_detach(handle) != -1) return 2;
    return 100 + (int)spork_last_status();
}

#ifndef _WIN32
static void print_noise(void)
{
    for (int fd = 1; fd <= 2; fd++)
        if (write(fd, "noise, which nobody hears\n", 26) != 26) abort();
}
#endif

int handles_inetd(const spork_args *args)
{
#ifdef _WIN32
    (void)args;
#else
    spork_handle *all;
    char text[100];
    size_t size;
    if (spork_unpack(args, &all) != SPORK_OK) return wrong(111, "unpack");
    for (int fd = 0; fd <= 2; fd++) dup2((int)spork_handle_native(all), fd);
    spork_handle_free(all);
    spork_connection *end = spork_connection_from(0, SPORK_READ | SPORK_WRITE);
    if (end == NULL) return 1;
    print_noise();
    while (spork_connection_recv_bytes(end, text, sizeof text, &size,
                                       harness_helper_patience_ms()) == SPORK_OK &&
           memcmp(text, "bye", 3) != 0)
        if (spork_connection_send_bytes(end, text, size, harness_helper_patience_ms()) != SPORK_OK)
            return 2;
    spork_connection_free(end);
    spork_sleep(SPORK_FOREVER);
#endif
    return 0;
}

int handles_standard(const spork_args *args)
{
#ifdef _WIN32
    (void)args;
    return 0;
#else
    spork_handle *zero, *one;
    char byte;
    if (spork_unpack(args, &zero, &one) != SPORK_OK) return wrong(111, "unpack");
    dup2((int)spork_handle_native(zero), 0);
    dup2((int)spork_handle_native(one), 1);
    spork_handle_free(zero);
    spork_handle_free(one);
    spork_connection *in = spork_connection_from(0, SPORK_READ);
    spork_connection *out = spork_connection_from(1, SPORK_WRITE);
    if (in == NULL || out == NULL) return wrong(1, "from");
    if (spork_connection_handle(in) <= 2 || spork_connection_handle(out) <= 2)
        return wrong(4, "low");
    if (read(0, &byte, 1) != 0) return wrong(5, "the null device is at its end");
    puts("noise, which nobody hears");
    fflush(stdout);
    int result = connections_echo_from(in, out);
    spork_connection_free(out);
    spork_connection_free(in);
    return result;
#endif
}
