// Handles as values, and connections of what was opened elsewhere, as handle.h and connection.h tell
// of them. Runs once under each start method. What runs in other processes is in harness/handles.c.
#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <cerrno>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#include <functional>
#include <utility>

#include "books.h"
#include "child.h"
#include "fault.h"
#include "harness/connections.h"
#include "harness/handles.h"

namespace {

// The system's pipe; what is still -1 has been closed or given away.
struct Raw {
    spork_native ends[2] = {-1, -1};
    Raw() { EXPECT_TRUE(handles_pipe(ends)); }
    ~Raw()
    {
        for (int i = 0; i < 2; i++) close(i);
    }
    Raw(const Raw &) = delete;
    Raw &operator=(const Raw &) = delete;
    void close(int which)
    {
        if (ends[which] != -1) handles_close(std::exchange(ends[which], -1));
    }
    std::string read() // up to the end
    {
        std::string all;
        char buffer[100];
        for (int n; (n = handles_read(ends[0], buffer, sizeof buffer)) > 0;)
            all.append(buffer, static_cast<size_t>(n));
        return all;
    }
};

std::string last() { return spork_status_name(spork_last_status()); }

std::string receive(spork_connection *from)
{
    char text[1000];
    size_t size = 0;
    spork_status status = spork_connection_recv_bytes(from, text, sizeof text, &size, kWatchdogMs);
    return status == SPORK_OK ? std::string(text, size) : spork_status_name(status);
}

spork_status send(spork_connection *to, const std::string &text)
{
    return spork_connection_send_bytes(to, text.data(), text.size(), kWatchdogMs);
}

class Handle : public Books {
  protected:
    // What is opened once is open before the books are: pools, the fork server, the sockets' library.
    static void SetUpTestSuite()
    {
        spork_native ends[2];
        EXPECT_TRUE(handles_sockets(ends, true));
        for (spork_native end : ends) handles_close_socket(end);
        EXPECT_EQ(0, Child(target_return, spork_pack(0)).run());
    }
    void SetUp() override { open_books(); }
};
using ConnectionFrom = Handle;

// ---- handles ----

TEST_F(Handle, IsTheSamePipeInAnotherProcess)
{
    Raw pipe;
    spork_handle *writer = spork_handle_new(pipe.ends[1]);
    ASSERT_NE(nullptr, writer) << spork_error();
    pipe.close(1); // it is a copy
    Child child(handles_say, spork_pack(spork_move(writer), "from the child"));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    EXPECT_EQ("from the child", pipe.read()); // to its end: nobody else has the writer
    EXPECT_EQ(0, child.join());
}

TEST_F(Handle, StaysOursWhereItIsNotMoved)
{
    Raw pipe;
    spork_handle *writer = spork_handle_new(pipe.ends[1]);
    pipe.close(1);
    EXPECT_EQ(0, Child(handles_say, spork_pack(writer, "theirs, ")).run());
    EXPECT_EQ(0, Child(handles_say, spork_pack(writer, "theirs, too, ")).run());
    EXPECT_TRUE(handles_write(spork_handle_native(writer), "and ours"));
    spork_handle_free(writer);
    EXPECT_EQ("theirs, theirs, too, and ours", pipe.read());
}

TEST_F(Handle, GoesOverADuplexConnection)
{
    spork_connection *here = nullptr, *there = nullptr;
    ASSERT_EQ(SPORK_OK, spork_pipe_duplex(&here, &there));
    Child child(handles_take, spork_pack(spork_move(there)));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    for (int i = 0; i < 3; i++) {
        Raw pipe;
        spork_handle *writer = spork_handle_new(pipe.ends[1]);
        pipe.close(1);
        ASSERT_EQ(SPORK_OK,
                  spork_connection_send(here, spork_pack(spork_move(writer)), kWatchdogMs))
            << spork_error();
        EXPECT_EQ("taken", pipe.read()) << "and closed with the message that it came in";
    }
    spork_connection_free(here);
    EXPECT_EQ(0, child.join());
}

TEST_F(Handle, OfASocketIsTheSameSocket)
{
    spork_native ends[2];
    ASSERT_TRUE(handles_sockets(ends, true));
    spork_handle *passed = spork_handle_new(ends[1]);
    ASSERT_NE(nullptr, passed) << spork_error();
    handles_close_socket(ends[1]);
    Child child(handles_greet, spork_pack(spork_move(passed), "hello"));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    std::string all;
    char buffer[100];
    for (int n; (n = handles_receive(ends[0], buffer, sizeof buffer)) > 0;)
        all.append(buffer, static_cast<size_t>(n));
    EXPECT_EQ("hello", all);
    EXPECT_EQ(0, child.join());
    handles_close_socket(ends[0]);
}

TEST_F(Handle, ThatIsDetachedIsPrivateAndStaysWithWhoeverTookIt)
{
    spork_connection *a = nullptr, *b = nullptr;
    spork_args *message = nullptr;
    spork_handle *came = nullptr;
    Raw pipe;
    ASSERT_EQ(SPORK_OK, spork_pipe_duplex(&a, &b));
    spork_handle *writer = spork_handle_new(pipe.ends[1]);
    EXPECT_NE(pipe.ends[1], spork_handle_native(writer));
    pipe.close(1);
    ASSERT_EQ(SPORK_OK, spork_connection_send(a, spork_pack(spork_move(writer)), kWatchdogMs))
        << spork_error();
    ASSERT_EQ(SPORK_OK, spork_connection_recv(b, &message, kWatchdogMs)) << spork_error();
    ASSERT_EQ(SPORK_OK, spork_unpack(message, &came)) << spork_error();
    spork_native native = spork_handle_detach(came);
    ASSERT_NE(-1, native) << spork_error();
    spork_args_free(message);
    EXPECT_TRUE(handles_is_private(native));
    EXPECT_TRUE(handles_write(native, "still open"));
    handles_close(native);
    EXPECT_EQ("still open", pipe.read());
    spork_connection_free(a);
    spork_connection_free(b);
}

int write_in_thread(const spork_args *args)
{
    spork_handle *handle;
    if (spork_unpack(args, &handle) != SPORK_OK) return 111;
    return handles_write(spork_handle_native(handle), "from a thread") ? 0 : 1;
}

TEST_F(Handle, IsAnArgumentOfAThread)
{
    Raw pipe;
    spork_handle *writer = spork_handle_new(pipe.ends[1]);
    pipe.close(1);
    spork_thread *thread = spork_thread_new(write_in_thread, spork_pack(spork_move(writer)));
    ASSERT_EQ(SPORK_OK, spork_thread_start(thread)) << spork_error();
    ASSERT_EQ(SPORK_OK, spork_thread_join(thread, kWatchdogMs)) << spork_error();
    EXPECT_EQ(0, spork_thread_exitcode(thread));
    spork_thread_free(thread);
    EXPECT_EQ("from a thread", pipe.read());
}

TEST_F(Handle, NotPassedItIsNotShared)
{
    if (spork_get_start_method() != SPORK_FORK)
        GTEST_SKIP() << "only a forked child can see its parent's objects";
    Raw pipe;
    spork_handle *writer = spork_handle_new(pipe.ends[1]);
    pipe.close(1);
    Child child(handles_not_shared,
                spork_pack(static_cast<uint64_t>(reinterpret_cast<uintptr_t>(writer))));
    EXPECT_EQ(100 + SPORK_NOT_SHARED, child.run());
    EXPECT_TRUE(handles_write(spork_handle_native(writer), "untouched"));
    spork_handle_free(writer);
    EXPECT_EQ("untouched", pipe.read());
}

#ifndef _WIN32
TEST_F(Handle, WhoWasNotGivenItDoesNotKeepItOpen)
{
    Raw pipe;
    spork_handle *writer = spork_handle_new(pipe.ends[1]);
    pipe.close(1);
    Child sibling(target_sleep, SPORK_NO_ARGS);
    ASSERT_EQ(SPORK_OK, sibling.start()) << spork_error();
    spork_handle_free(writer);
    spork_wait_item end = spork_on_native(pipe.ends[0], SPORK_READ);
    EXPECT_EQ(SPORK_OK, spork_wait(&end, 1, kWatchdogMs)) << "the child has it";
}
#endif

TEST_F(Handle, OfWhatIsNotOpenIsRefused)
{
    for (spork_native none : {spork_native{-1}, spork_native{7777}, spork_native{-7},
                              static_cast<spork_native>(INTPTR_MAX)}) {
        EXPECT_EQ(nullptr, spork_handle_new(none)) << none;
        EXPECT_EQ("SPORK_INVALID", last());
        EXPECT_NE(nullptr, strstr(spork_error(), "spork_handle_new: ")) << spork_error();
        EXPECT_NE(nullptr, strstr(spork_error(), std::to_string(none).c_str())) << spork_error();
    }
    EXPECT_EQ(-1, spork_handle_native(nullptr));
    EXPECT_EQ(-1, spork_handle_detach(nullptr));
    spork_handle_free(nullptr);
    Raw pipe;
    spork_handle *handle = spork_handle_new(pipe.ends[0]);
    spork_handle_free(handle);
    EXPECT_EQ(-1, spork_handle_native(handle));
    EXPECT_NE(nullptr, strstr(spork_error(), "was freed")) << spork_error();
    spork_handle_free(handle);
    EXPECT_NE(std::string::npos, log_text().find("this handle was freed before")) << log_text();
}

TEST_F(Handle, WithoutADescriptorForTheCopyThereIsNone)
{
    Raw pipe;
#ifdef _WIN32
    spork__fault_arm_kind("DuplicateHandle", 1, ERROR_TOO_MANY_OPEN_FILES, false);
#else
    spork__fault_arm_kind("fcntl", 1, EMFILE, false);
#endif
    spork_handle *none = spork_handle_new(pipe.ends[0]);
    spork__fault_arm_kind(nullptr, 0, 0, false);
    EXPECT_EQ(nullptr, none);
    EXPECT_EQ("SPORK_NO_SPACE", last()) << spork_error();
}

// ---- connections of what was opened elsewhere ----

// The ends of a connection as somebody else would have them.
void raw_line(bool duplex, spork_native ends[2])
{
    spork_connection *r = nullptr, *w = nullptr;
    ASSERT_EQ(SPORK_OK, duplex ? spork_pipe_duplex(&r, &w) : spork_pipe(&r, &w)) << spork_error();
    ends[0] = spork_connection_detach(r);
    ends[1] = spork_connection_detach(w);
}

TEST_F(ConnectionFrom, APipeCarriesMessagesInItsDirection)
{
    spork_native there[2], back[2];
    raw_line(false, there);
    raw_line(false, back);
    spork_handle *in = spork_handle_new(there[0]), *out = spork_handle_new(back[1]);
    Child child(handles_echo,
                spork_pack(spork_move(in), static_cast<int>(SPORK_READ), spork_move(out)));
    handles_close(there[0]);
    handles_close(back[1]);
    spork_connection *writer = spork_connection_from(there[1], SPORK_WRITE);
    ASSERT_NE(nullptr, writer) << spork_error();
    spork_connection *reader = spork_connection_from(back[0], SPORK_READ);
    ASSERT_NE(nullptr, reader) << spork_error();
    ASSERT_EQ(SPORK_OK, child.start())
        << spork_error(); // a forked child has what is no object, too
    EXPECT_TRUE(handles_is_private(spork_connection_handle(reader)));
    for (const char *text : {"one", "", "three"}) {
        ASSERT_EQ(SPORK_OK, send(writer, text)) << spork_error();
        EXPECT_EQ(text, receive(reader));
    }
    char byte;
    size_t size;
    EXPECT_EQ(SPORK_TIMEOUT, spork_connection_recv_bytes(reader, &byte, 1, &size, 10))
        << "it does not block";
    EXPECT_EQ(SPORK_INVALID, send(reader, "x"));
    EXPECT_EQ("SPORK_INVALID", receive(writer));
    spork_connection_free(writer);
    EXPECT_EQ("SPORK_CLOSED", receive(reader));
    spork_connection_free(reader);
    EXPECT_EQ(0, child.join());
}

TEST_F(ConnectionFrom, ADuplexEndCarriesObjectsToo)
{
    spork_native ends[2];
    raw_line(true, ends);
    spork_connection *here = spork_connection_from(ends[0], SPORK_READ | SPORK_WRITE);
    ASSERT_NE(nullptr, here) << spork_error();
    spork_connection *there = spork_connection_from(ends[1], SPORK_READ | SPORK_WRITE);
    ASSERT_NE(nullptr, there) << spork_error();
    Child child(handles_take, spork_pack(spork_move(there)));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    Raw pipe;
    spork_handle *writer = spork_handle_new(pipe.ends[1]);
    pipe.close(1);
    ASSERT_EQ(SPORK_OK, spork_connection_send(here, spork_pack(spork_move(writer)), kWatchdogMs))
        << spork_error();
    EXPECT_EQ("taken", pipe.read());
    spork_connection_free(here);
    EXPECT_EQ(0, child.join());
}

// What is refused is as it was: open, the caller's, and blocking.
void expect_refused(spork_native native, int directions, spork_status status, const char *why)
{
    EXPECT_EQ(nullptr, spork_connection_from(native, directions)) << why;
    EXPECT_EQ(spork_status_name(status), last()) << spork_error();
    EXPECT_NE(nullptr, strstr(spork_error(), why)) << spork_error();
    EXPECT_NE(nullptr, strstr(spork_error(), "spork_connection_from: ")) << spork_error();
}
void expect_refused(spork_native native, int directions, const char *why)
{
    expect_refused(native, directions, SPORK_INVALID, why);
}

TEST_F(ConnectionFrom, WhatHasNotThatDirectionIsRefused)
{
    constexpr int kBoth = SPORK_READ | SPORK_WRITE;
    spork_native ends[2];
    raw_line(false, ends);
    expect_refused(ends[0], 0, "no directions");
    expect_refused(ends[0], 4, "no directions");
    for (int wrong : {static_cast<int>(SPORK_WRITE), kBoth}) expect_refused(ends[0], wrong, "read");
    for (int wrong : {static_cast<int>(SPORK_READ), kBoth}) expect_refused(ends[1], wrong, "writ");
    spork_connection *reader = spork_connection_from(ends[0], SPORK_READ),
                     *writer = spork_connection_from(ends[1], SPORK_WRITE);
    ASSERT_EQ(SPORK_OK, send(writer, "nothing was broken")) << spork_error();
    EXPECT_EQ("nothing was broken", receive(reader));
    spork_connection_free(reader);
    spork_connection_free(writer);
    expect_refused(-1, kBoth, "no open");
    expect_refused(7777, kBoth, "no open");
}

TEST_F(ConnectionFrom, WhatCarriesNoMessagesIsRefused)
{
    constexpr int kBoth = SPORK_READ | SPORK_WRITE;
    spork_native listening, ends[2];
    int port;
    ASSERT_TRUE(handles_listen(&listening, &port));
#ifdef _WIN32
    Raw bytes;
    expect_refused(bytes.ends[0], SPORK_READ, "FILE_FLAG_OVERLAPPED");
    std::string name = "\\\\.\\pipe\\handle_test." + std::to_string(GetCurrentProcessId());
    HANDLE stream = CreateNamedPipeA(name.c_str(), PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED,
                                     PIPE_TYPE_BYTE, 1, 100, 100, 0, nullptr);
    expect_refused(reinterpret_cast<spork_native>(stream), kBoth, "byte mode");
    CloseHandle(stream);
    expect_refused(listening, kBoth, "no pipe");
    ASSERT_TRUE(handles_sockets(ends, true));
    expect_refused(ends[0], kBoth, "no pipe");
    for (spork_native end : ends) handles_close_socket(end);
    raw_line(true, ends);
    HANDLE before = GetStdHandle(STD_INPUT_HANDLE);
    SetStdHandle(STD_INPUT_HANDLE, reinterpret_cast<HANDLE>(ends[0]));
    expect_refused(ends[0], kBoth, SPORK_UNSUPPORTED, "standard stream");
    SetStdHandle(STD_INPUT_HANDLE, before);
    for (spork_native end : ends) handles_close(end);
#else
    auto opened = [&](int fd, const char *why) {
        ASSERT_GE(fd, 0);
        for (int directions : {static_cast<int>(SPORK_READ), static_cast<int>(SPORK_WRITE), kBoth})
            expect_refused(fd, directions, why);
        EXPECT_EQ(0, fcntl(fd, F_GETFL) & O_NONBLOCK);
        close(fd);
    };
    opened(open("/dev/null", O_RDWR), "a device");
    opened(open("/", O_RDONLY), "a directory");
    FILE *file = tmpfile();
    opened(dup(fileno(file)), "a file");
    fclose(file);
    opened(socket(AF_UNIX, SOCK_DGRAM, 0), "no stream");
    std::string fifo = std::string(testing::TempDir()) + "handle_test." + std::to_string(getpid());
    ASSERT_EQ(0, mkfifo(fifo.c_str(), 0600));
    opened(open(fifo.c_str(), O_RDWR), "both directions");
    unlink(fifo.c_str());
    expect_refused(listening, kBoth, "listens");
    spork_native idle;
    ASSERT_TRUE(handles_socket(&idle));
    expect_refused(idle, kBoth, "not connected");
    handles_close_socket(idle);
    Raw pipe;
    int path = open(("/proc/self/fd/" + std::to_string(pipe.ends[0])).c_str(), O_PATH);
    if (path >= 0) { // where there is /proc
        expect_refused(path, SPORK_READ, "no open descriptor");
        close(path);
    }
    ASSERT_TRUE(handles_sockets(ends, false));
    expect_refused(ends[0], SPORK_READ, "both directions");
    for (spork_native end : ends) handles_close_socket(end);
#endif
    handles_close_socket(listening);
}

#ifndef _WIN32

TEST_F(ConnectionFrom, OneSocketAsAllStandardStreamsIsLeftByAll)
{
    spork_native ends[2];
    ASSERT_TRUE(handles_sockets(ends, false));
    spork_handle *all = spork_handle_new(ends[1]);
    handles_close_socket(ends[1]);
    Child child(handles_inetd, spork_pack(spork_move(all)));
    spork_connection *here = spork_connection_from(ends[0], SPORK_READ | SPORK_WRITE);
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    for (const char *text : {"only", "messages"}) {
        ASSERT_EQ(SPORK_OK, send(here, text)) << spork_error();
        EXPECT_EQ(text, receive(here));
    }
    ASSERT_EQ(SPORK_OK, send(here, "bye")) << spork_error();
    EXPECT_EQ("SPORK_CLOSED", receive(here)) << "its streams do not keep it open";
    spork_process_kill(child.get());
    spork_connection_free(here);
}

TEST_F(ConnectionFrom, DetachedItBlocks)
{
    spork_native ends[2];
    ASSERT_TRUE(handles_sockets(ends, false));
    fcntl(static_cast<int>(ends[0]), F_SETFL, O_NONBLOCK);
    spork_connection *connection = spork_connection_from(ends[0], SPORK_READ | SPORK_WRITE);
    ASSERT_NE(nullptr, connection) << spork_error();
    EXPECT_EQ(ends[0], spork_connection_detach(connection));
    EXPECT_EQ(0, fcntl(static_cast<int>(ends[0]), F_GETFL) & O_NONBLOCK);
    for (spork_native end : ends) handles_close_socket(end);
}

#ifdef __linux__
// Linux 6.5: a descriptor of the sender comes with each message, unasked.
TEST_F(ConnectionFrom, DescriptorsThatComeUnaskedAreClosed)
{
    spork_native ends[2];
    int on = 1;
    constexpr int kPassPidFd = 76; // SO_PASSPIDFD
    ASSERT_TRUE(handles_sockets(ends, false));
    if (setsockopt(static_cast<int>(ends[0]), SOL_SOCKET, kPassPidFd, &on, sizeof on) != 0)
        printf("without the sender's: this system does not pass it\n");
    spork_connection *here = spork_connection_from(ends[0], SPORK_READ | SPORK_WRITE);
    spork_connection *there = spork_connection_from(ends[1], SPORK_READ | SPORK_WRITE);
    int before = harness_descriptors(nullptr, 0);
    Raw pipe;
    for (int i = 0; i < 5; i++) {
        spork_handle *handle = spork_handle_new(pipe.ends[0]);
        ASSERT_EQ(SPORK_OK,
                  spork_connection_send(there, spork_pack(spork_move(handle)), kWatchdogMs));
        EXPECT_NE("", receive(here)); // as bytes: nobody asks for what came with them
    }
    EXPECT_EQ(before + 2, harness_descriptors(nullptr, 0));
    spork_connection_free(here);
    spork_connection_free(there);
}
#endif

TEST_F(ConnectionFrom, StandardStreamsGoOnAsTheNullDevice)
{
    spork_native there[2], back[2];
    raw_line(false, there);
    raw_line(false, back);
    spork_handle *zero = spork_handle_new(there[0]), *one = spork_handle_new(back[1]);
    Child child(handles_standard, spork_pack(spork_move(zero), spork_move(one)));
    handles_close(there[0]);
    handles_close(back[1]);
    spork_connection *to = spork_connection_from(there[1], SPORK_WRITE),
                     *from = spork_connection_from(back[0], SPORK_READ);
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    for (const char *text : {"only", "messages"}) {
        ASSERT_EQ(SPORK_OK, send(to, text)) << spork_error();
        EXPECT_EQ(text, receive(from));
    }
    spork_connection_free(to);
    EXPECT_EQ("SPORK_CLOSED", receive(from)) << "the child's streams do not keep it open";
    spork_connection_free(from);
    EXPECT_EQ(0, child.join());
}

TEST_F(ConnectionFrom, OverANetworkValuesTravelAndObjectsDoNot)
{
    spork_native ends[2];
    ASSERT_TRUE(handles_sockets(ends, true));
    spork_connection *here = spork_connection_from(ends[0], SPORK_READ | SPORK_WRITE);
    ASSERT_NE(nullptr, here) << spork_error();
    Raw pipe;
    spork_handle *handle = spork_handle_new(pipe.ends[0]);
    EXPECT_EQ(SPORK_UNSUPPORTED, spork_connection_send(here, spork_pack(handle), kWatchdogMs));
    EXPECT_NE(nullptr, strstr(spork_error(), "network")) << spork_error();
    spork_handle_free(handle);
    spork_connection *there = spork_connection_from(ends[1], SPORK_READ | SPORK_WRITE);
    Child child(connections_add, spork_pack(spork_move(there))); // where it is known to be one, too
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    const double numbers[] = {1, 2, 3.5};
    ASSERT_EQ(SPORK_OK, spork_connection_send(here, spork_pack("sum", 41, spork_array(numbers, 3)),
                                              kWatchdogMs))
        << spork_error();
    spork_args *message = nullptr;
    ASSERT_EQ(SPORK_OK, spork_connection_recv(here, &message, kWatchdogMs)) << spork_error();
    const char *text = nullptr;
    int number = 0;
    double sum = 0;
    EXPECT_EQ(SPORK_OK, spork_unpack(message, &text, &number, &sum)) << spork_error();
    EXPECT_EQ(42, number);
    EXPECT_EQ(6.5, sum);
    spork_args_free(message);
    spork_connection_free(here);
    EXPECT_EQ(0, child.join());
}

#endif

} // namespace
