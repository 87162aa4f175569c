// Connections, as connection.h tells of them. Runs once under each start method. What runs in other processes is in
// harness/connections.c.
#ifndef _WIN32
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "alloc.h"
#include "books.h"
#include "child.h"
#include "fault.h"
#include "harness/connections.h"
#include "platform.h"

namespace {

// ---- an end, a message, and what is said over them ----

class End {
  public:
    End() = default;
    explicit End(spork_connection *connection) : connection_(connection) {}
    End(End &&other) noexcept : connection_(other.release()) {}
    End &operator=(End &&other) noexcept
    {
        close();
        connection_ = other.release();
        return *this;
    }
    ~End() { close(); }
    operator spork_connection *() const { return connection_; } // NOLINT: it stands for the end
    spork_connection *get() const { return connection_; }
    spork_connection *release() { return std::exchange(connection_, nullptr); }
    void close() { spork_connection_free(release()); }

  private:
    spork_connection *connection_ = nullptr;
};

struct Line { // of either kind; what is sent into the writer is received from the reader
    End reader, writer;
    explicit Line(bool duplex = false)
    {
        spork_connection *r = nullptr, *w = nullptr;
        EXPECT_EQ(SPORK_OK, duplex ? spork_pipe_duplex(&r, &w) : spork_pipe(&r, &w)) << spork_error();
        reader = End(r);
        writer = End(w);
    }
};
constexpr bool kDuplex = true;

struct FreeArgs {
    void operator()(spork_args *args) const { spork_args_free(args); }
};
using Message = std::unique_ptr<spork_args, FreeArgs>;

std::string in_words(spork_status status) { return std::string("<") + spork_status_name(status) + ">"; }

// The next message of bytes, received into that much room, and then, if it is longer, into as much as it needs; or the
// status, in words.
std::string receive(spork_connection *from, int timeout_ms = kWatchdogMs, size_t room = 1u << 17)
{
    std::unique_ptr<char[]> bytes(new char[room + 1]);
    size_t size = 0;
    spork_status status = spork_connection_recv_bytes(from, bytes.get(), room, &size, timeout_ms);
    if (status == SPORK_TOO_SMALL) {
        EXPECT_GT(size, room);
        room = size;
        bytes.reset(new char[room]); // not touched: the length may be a lie
        status = spork_connection_recv_bytes(from, bytes.get(), room, &size, timeout_ms);
    }
    return status == SPORK_OK ? std::string(bytes.get(), size) : in_words(status);
}

spork_status send(spork_connection *to, const std::string &bytes, int timeout_ms = kWatchdogMs)
{
    return spork_connection_send_bytes(to, bytes.data(), bytes.size(), timeout_ms);
}

// The next message of values. NULL and the status unless there is one.
Message receive_values(spork_connection *from, spork_status *status = nullptr, int timeout_ms = kWatchdogMs)
{
    int dummy = 0;
    void *garbage = &dummy;
    auto *message = static_cast<spork_args *>(garbage);
    spork_status got = spork_connection_recv(from, &message, timeout_ms);
    if (status != nullptr) {
        *status = got;
    } else {
        EXPECT_EQ(SPORK_OK, got) << spork_error();
    }
    if (got != SPORK_OK) {
        EXPECT_EQ(nullptr, message);
        message = nullptr;
    }
    return Message(message);
}

spork_status status_of_values(spork_connection *from, int timeout_ms = kWatchdogMs)
{
    spork_status status;
    receive_values(from, &status, timeout_ms);
    return status;
}

// The one end in the next message, which is kept.
End receive_end(spork_connection *from)
{
    spork_connection *end = nullptr;
    Message message = receive_values(from);
    EXPECT_EQ(SPORK_OK, spork_unpack(message.get(), &end)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_keep(end)) << spork_error();
    return End(end);
}

std::string bytes_of(size_t size, uint32_t seed = 1)
{
    std::string bytes(size, '\0');
    connections_fill(bytes.data(), size, seed);
    return bytes;
}

// Not EXPECT_EQ: it would print both.
testing::AssertionResult same(const std::string &expected, const std::string &got)
{
    if (expected == got) return testing::AssertionSuccess();
    return testing::AssertionFailure() << got.size() << " bytes instead of " << expected.size() << ", beginning with "
                                       << got.substr(0, 40);
}

bool native() { return !harness_instrumented() && !harness_wine(); }

std::vector<size_t> sizes()
{
    std::vector<size_t> all = {0, 1, 4095, 4096, 4097, 65535, 65536, 65537, 1u << 20};
    if (native()) all.push_back(64u << 20);
    return all;
}

// ---- the tests ----

class Connection : public Books {
  protected:
    void SetUp() override
    {
        static bool warm = false; // the first child and the first object let Spork open what it keeps
        if (!warm) {
            Line line(kDuplex);
            Child child(connections_echo, spork_pack(spork_move(line.reader.get())));
            ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
            line.reader.release();
            line.writer.close();
            ASSERT_EQ(0, child.join());
            std::thread([] { spork_connection_poll(nullptr, 0); }).join();
            warm = true;
        }
        open_books();
    }
};

// ---- bytes ----

TEST_F(Connection, CarriesBytesOfAllSizesBetweenThreads)
{
    SHOWN_UNDER_FORK;
    for (bool duplex : {false, true}) {
        Line line(duplex);
        Thread sender([&] {
            for (size_t size : sizes()) EXPECT_EQ(SPORK_OK, send(line.writer, bytes_of(size))) << spork_error();
        });
        for (size_t size : sizes()) EXPECT_TRUE(same(bytes_of(size), receive(line.reader)));
    }
}

TEST_F(Connection, CarriesBytesOfAllSizesToAnotherProcessAndBackOverOneDuplex)
{
    Line line(kDuplex);
    Child child(connections_echo, spork_pack(spork_move(line.reader.get())));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    line.reader.release();
    for (size_t size : sizes()) {
        std::string bytes = bytes_of(size);
        ASSERT_EQ(SPORK_OK, send(line.writer, bytes)) << spork_error();
        ASSERT_TRUE(same(bytes, receive(line.writer)));
    }
    line.writer.close();
    EXPECT_EQ(0, child.join());
}

TEST_F(Connection, CarriesBytesOfAllSizesToAnotherProcessAndBackOverTwoPipes)
{
    Line there, back;
    Child child(connections_relay, spork_pack(spork_move(there.reader.get()), spork_move(back.writer.get())));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    there.reader.release();
    back.writer.release();
    for (size_t size : sizes()) {
        std::string bytes = bytes_of(size);
        ASSERT_EQ(SPORK_OK, send(there.writer, bytes)) << spork_error();
        ASSERT_TRUE(same(bytes, receive(back.reader)));
    }
    there.writer.close();
    EXPECT_EQ("<SPORK_CLOSED>", receive(back.reader));
    EXPECT_EQ(0, child.join());
}

TEST_F(Connection, CarriesLargeMessagesInBothDirectionsAtOnce)
{
    Line line(kDuplex);
    int count = harness_count(20);
    auto send_all = [count](spork_connection *to, uint32_t seed) {
        for (int i = 0; i < count; i++)
            EXPECT_EQ(SPORK_OK, send(to, bytes_of(300000, seed + static_cast<uint32_t>(i)))) << spork_error();
    };
    auto receive_all = [count](spork_connection *from, uint32_t seed) {
        for (int i = 0; i < count; i++)
            EXPECT_TRUE(same(bytes_of(300000, seed + static_cast<uint32_t>(i)), receive(from)));
    };
    Thread one([&] { send_all(line.reader, 1000); });
    Thread two([&] { send_all(line.writer, 2000); });
    Thread three([&] { receive_all(line.reader, 2000); });
    receive_all(line.writer, 1000);
}

TEST_F(Connection, AMessageOfNoBytesIsAMessage)
{
    for (bool duplex : {false, true}) {
        Line line(duplex);
        ASSERT_EQ(SPORK_OK, spork_connection_send_bytes(line.writer, nullptr, 0, kWatchdogMs)) << spork_error();
        ASSERT_EQ(SPORK_OK, send(line.writer, ""));
        ASSERT_EQ(SPORK_OK, send(line.writer, "after"));
        size_t size = 77;
        EXPECT_EQ(SPORK_OK, spork_connection_poll(line.reader, kWatchdogMs));
        EXPECT_EQ(SPORK_OK, spork_connection_recv_bytes(line.reader, nullptr, 0, &size, kWatchdogMs)) << spork_error();
        EXPECT_EQ(0u, size);
        EXPECT_EQ("", receive(line.reader));
        EXPECT_EQ("after", receive(line.reader));
    }
}

TEST_F(Connection, DoesNotNeedToBeAskedForTheLength)
{
    Line line;
    ASSERT_EQ(SPORK_OK, send(line.writer, "exact"));
    char room[5];
    ASSERT_EQ(SPORK_OK, spork_connection_recv_bytes(line.reader, room, sizeof room, nullptr, kWatchdogMs));
    EXPECT_EQ("exact", std::string(room, 5));
}

// ---- values ----

TEST_F(Connection, CarriesValuesInBothDirections)
{
    Line line(kDuplex);
    Child child(connections_add, spork_pack(spork_move(line.reader.get())));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    line.reader.release();
    for (size_t count : {size_t{0}, size_t{1}, size_t{509}, size_t{512}, size_t{8192}, size_t{131072}}) {
        std::vector<double> doubles(count, 0.5);
        std::string text(count, 't');
        auto number = static_cast<int>(count);
        ASSERT_EQ(SPORK_OK,
                  spork_connection_send(line.writer,
                                        spork_pack(text.c_str(), number, spork_array(doubles.data(), doubles.size())),
                                        kWatchdogMs))
            << spork_error();
        Message message = receive_values(line.writer);
        const char *got = nullptr;
        int next = 0;
        double sum = -1;
        ASSERT_EQ(SPORK_OK, spork_unpack(message.get(), &got, &next, &sum)) << spork_error();
        EXPECT_TRUE(same(text, got));
        EXPECT_EQ(number + 1, next);
        EXPECT_EQ(static_cast<double>(count) / 2, sum);
    }
    line.writer.close();
    EXPECT_EQ(0, child.join());
}

TEST_F(Connection, CarriesAPackOfNoValues)
{
    Line line;
    ASSERT_EQ(SPORK_OK, spork_connection_send(line.writer, SPORK_NO_ARGS, kWatchdogMs)) << spork_error();
    Message message = receive_values(line.reader);
    ASSERT_NE(nullptr, message);
    EXPECT_EQ(0u, message->count);
}

TEST_F(Connection, ReceivedValuesLiveUntilTheyAreFreed)
{
    Line line;
    std::vector<Message> messages;
    std::vector<const char *> texts;
    for (int i = 0; i < 20; i++) {
        std::string text = "text " + std::to_string(i);
        ASSERT_EQ(SPORK_OK, spork_connection_send(line.writer, spork_pack(text.c_str()), kWatchdogMs));
        messages.push_back(receive_values(line.reader));
        texts.push_back(nullptr);
        ASSERT_EQ(SPORK_OK, spork_unpack(messages.back().get(), &texts.back())) << spork_error();
    }
    line.reader.close();
    for (size_t i = 0; i < 20; i++) EXPECT_EQ("text " + std::to_string(i), texts[i]);
}

TEST_F(Connection, ValuesTravelAsBytesThatCanBePassedOn)
{
    Line first, second;
    ASSERT_EQ(SPORK_OK, spork_connection_send(first.writer, spork_pack("passed on", 7), kWatchdogMs));
    std::string bytes = receive(first.reader);
    ASSERT_EQ(SPORK_OK, send(second.writer, bytes));
    Message message = receive_values(second.reader);
    const char *text = nullptr;
    int number = 0;
    ASSERT_EQ(SPORK_OK, spork_unpack(message.get(), &text, &number)) << spork_error();
    EXPECT_STREQ("passed on", text);
    EXPECT_EQ(7, number);
}

TEST_F(Connection, KeepsTheOrderAndContentOfManyMessages)
{
    for (bool duplex : {false, true}) {
        Line line(duplex);
        int count = harness_count(10000);
        Child producer(connections_produce, spork_pack(spork_move(line.writer.get()), count));
        Child consumer(connections_consume, spork_pack(spork_move(line.reader.get()), count));
        ASSERT_EQ(SPORK_OK, producer.start()) << spork_error();
        line.writer.release();
        ASSERT_EQ(SPORK_OK, consumer.start()) << spork_error();
        line.reader.release();
        EXPECT_EQ(0, producer.join());
        EXPECT_EQ(0, consumer.join());
    }
}

TEST_F(Connection, RefusesWhatCannotTravelAndSendsNothing)
{
    Line line(kDuplex);
    int here = 0;
    EXPECT_EQ(SPORK_INVALID, spork_connection_send(line.writer, spork_pack(1, spork_pointer(&here)), 0));
    EXPECT_NE(nullptr, strstr(spork_error(), "pointer")) << spork_error();
    EXPECT_EQ(SPORK_INVALID, spork_connection_send(line.writer, spork_pack(static_cast<const char *>(nullptr)), 0));
    EXPECT_EQ(SPORK_INVALID,
              spork_connection_send(line.writer, spork_pack(static_cast<spork_connection *>(nullptr)), 0));
    spork_bytes most = spork_bytes_of(&here, SIZE_MAX / 2);
    spork_bytes above =
        spork_bytes_of(&here, static_cast<size_t>(std::min<uint64_t>((uint64_t{1} << 48) + 1, SIZE_MAX)));
    EXPECT_EQ(SPORK_TOO_LARGE, spork_connection_send(line.writer, spork_pack(most), 0)) << spork_error();
    EXPECT_EQ(SPORK_TOO_LARGE, spork_connection_send(line.writer, spork_pack(above), 0)) << spork_error();
    EXPECT_EQ(SPORK_TOO_LARGE, spork_connection_send(line.writer, spork_pack(most, most, most), 0)) << spork_error();
    EXPECT_EQ(SPORK_TIMEOUT, spork_connection_poll(line.reader, 0));
    EXPECT_EQ(SPORK_OK, send(line.writer, "good"));
    EXPECT_EQ("good", receive(line.reader));
}

#ifdef _WIN32
TEST_F(Connection, RefusesMoreThanOneGibibyteOnWindows)
{
    Line line;
    char here = 0;
    EXPECT_EQ(SPORK_TOO_LARGE, spork_connection_send_bytes(line.writer, &here, (size_t{1} << 30) + 1, 0));
    EXPECT_EQ(SPORK_TOO_LARGE, spork_connection_send_bytes(line.writer, &here, (size_t{1} << 32) + 1, 0));
    EXPECT_EQ(SPORK_TIMEOUT, spork_connection_poll(line.reader, 0));
}
#endif

// ---- too small, and of the wrong kind ----

TEST_F(Connection, AMessageThatIsTooLongTellsItsLengthAndStays)
{
    for (bool duplex : {false, true})
        for (size_t length : {size_t{10}, size_t{5000}, size_t{1} << 20}) {
            Line line(duplex);
            std::string bytes = bytes_of(length);
            Thread sender([&] {
                EXPECT_EQ(SPORK_OK, send(line.writer, bytes)) << spork_error();
                EXPECT_EQ(SPORK_OK, send(line.writer, "next")) << spork_error();
            });
            std::string room(length - 1, '?');
            for (size_t offered : {size_t{0}, size_t{1}, length - 1}) {
                size_t size = 0;
                ASSERT_EQ(SPORK_TOO_SMALL,
                          spork_connection_recv_bytes(line.reader, room.data(), offered, &size, kWatchdogMs));
                EXPECT_EQ(length, size);
                EXPECT_NE(std::string::npos, std::string(spork_error()).find(std::to_string(length))) << spork_error();
            }
            EXPECT_EQ(SPORK_TOO_SMALL, spork_connection_recv_bytes(line.reader, room.data(), 3, nullptr, kWatchdogMs));
            EXPECT_EQ(SPORK_OK, spork_connection_poll(line.reader, 0));
            EXPECT_TRUE(same(bytes, receive(line.reader, kWatchdogMs, length)));
            EXPECT_EQ("next", receive(line.reader));
        }
}

TEST_F(Connection, ValuesThatWereTooLongForABufferAreReceivedAsValues)
{
    for (bool duplex : {false, true})
        for (size_t length : {size_t{10}, size_t{5000}, size_t{1} << 20}) {
            Line line(duplex);
            std::string bytes = bytes_of(length);
            Thread sender([&] {
                spork_bytes packed = spork_bytes_of(bytes.data(), bytes.size());
                EXPECT_EQ(SPORK_OK, spork_connection_send(line.writer, spork_pack(5, packed), kWatchdogMs));
            });
            char room[8];
            size_t size = 0;
            EXPECT_EQ(SPORK_TOO_SMALL, spork_connection_recv_bytes(line.reader, room, sizeof room, &size, kWatchdogMs));
            EXPECT_GT(size, length);
            Message message = receive_values(line.reader);
            int number = 0;
            spork_bytes got = {};
            ASSERT_EQ(SPORK_OK, spork_unpack(message.get(), &number, &got)) << spork_error();
            EXPECT_TRUE(same(bytes, std::string(static_cast<const char *>(got.data), got.size)));
        }
}

TEST_F(Connection, BytesAreNoValuesAndStayBytes)
{
    for (bool duplex : {false, true})
        for (const std::string &bytes : {std::string(), std::string("x"), std::string("these are no values at all"),
                                         std::string(64, '\0'), std::string(64, '\xFF'), bytes_of(100000)}) {
            Line line(duplex);
            Thread sender([&] {
                EXPECT_EQ(SPORK_OK, send(line.writer, bytes));
                EXPECT_EQ(SPORK_OK, spork_connection_send(line.writer, spork_pack(8), kWatchdogMs));
            });
            EXPECT_EQ(SPORK_BAD_MESSAGE, status_of_values(line.reader)) << bytes.size();
            EXPECT_STRNE("", spork_error());
            EXPECT_EQ(SPORK_OK, spork_connection_poll(line.reader, 0));
            EXPECT_TRUE(same(bytes, receive(line.reader)));
            int number = 0;
            Message message = receive_values(line.reader);
            EXPECT_EQ(SPORK_OK, spork_unpack(message.get(), &number));
            EXPECT_EQ(8, number);
        }
}

// Who receives values until the end would else be told of the same message for ever.
TEST_F(Connection, WhoReceivesOnlyValuesComesPastBytes)
{
    for (bool duplex : {false, true}) {
        Line line(duplex);
        for (const char *bytes : {"one", "two"}) ASSERT_EQ(SPORK_OK, send(line.writer, bytes));
        ASSERT_EQ(SPORK_OK, spork_connection_send(line.writer, spork_pack(8), kWatchdogMs));
        ASSERT_EQ(SPORK_OK, send(line.writer, "three"));
        line.writer.close();
        int refused = 0, values = 0;
        spork_args *message = nullptr;
        for (spork_status status; (status = spork_connection_recv(line.reader, &message,
                                                                  kWatchdogMs)) != SPORK_CLOSED;) {
            ASSERT_TRUE(status == SPORK_OK || status == SPORK_BAD_MESSAGE) << spork_error();
            if (status == SPORK_OK) spork_args_free(message);
            (status == SPORK_OK ? values : refused)++;
            ASSERT_LE(refused, 6);
        }
        EXPECT_EQ(6, refused); // each twice
        EXPECT_EQ(1, values);
    }
}

TEST_F(Connection, ValuesWhoseObjectsDidNotComeAreNoValuesAndStayBytes)
{
    if (windows()) GTEST_SKIP() << "there a handle is a number in the bytes, and comes with them";
    Line line(kDuplex), other;
    ASSERT_EQ(SPORK_OK, spork_connection_send(line.writer, spork_pack("text", other.writer.get(), 5), kWatchdogMs));
    std::string bytes = receive(line.reader); // without what came beside them
    ASSERT_EQ(SPORK_OK, send(line.writer, bytes));
    EXPECT_EQ(SPORK_BAD_MESSAGE, status_of_values(line.reader));
    EXPECT_TRUE(same(bytes, receive(line.reader, 0)));
    ASSERT_EQ(SPORK_OK, send(line.writer, "next"));
    EXPECT_EQ("next", receive(line.reader));
}

TEST_F(Connection, DamagedValuesAreRefusedOrWhatTheySay)
{
    for (bool objects : {false, true}) {
        if (objects && windows()) break; // there a damaged number may be the handle of anything
        Line line(kDuplex), other;
        spork_connection *end = other.writer;
        ASSERT_EQ(SPORK_OK, spork_connection_send(line.writer,
                                                  objects ? spork_pack("text", end, 2.5, end, 5)
                                                          : spork_pack("text", 5, 2.5, spork_array("array", 5), ""),
                                                  kWatchdogMs));
        std::string good = receive(line.reader);
        constexpr int most = 1000;
        std::string noise = bytes_of(most * 3);
        for (int i : repeat(most)) {
            std::string bad = good;
            auto at = [&](int k) { return static_cast<unsigned char>(noise[static_cast<size_t>(i * 3 + k)]); };
            bad[(at(0) * 256u + at(1)) % bad.size()] = static_cast<char>(at(2));
            if (i % 4 == 0) bad.resize(at(1) % bad.size());
            if (i % 4 == 1) bad += bad;
            ASSERT_EQ(SPORK_OK, send(line.writer, bad));
            spork_status status;
            Message message = receive_values(line.reader, &status);
            ASSERT_TRUE(status == SPORK_OK || status == SPORK_BAD_MESSAGE) << spork_status_name(status);
            std::string bytes = receive(line.reader, 0);
            if (bytes == "<SPORK_TIMEOUT>")
                continue; // whether they stay is for the test above: damage may make objects
            EXPECT_EQ(SPORK_BAD_MESSAGE, status);
            EXPECT_TRUE(same(bad, bytes));
        }
    }
}

// ---- timeouts ----

TEST_F(Connection, ATimeoutOfZeroOnlyLooksAndOthersWait)
{
    for (bool duplex : {false, true}) {
        Line line(duplex);
        char byte;
        EXPECT_EQ(SPORK_TIMEOUT, spork_connection_recv_bytes(line.reader, &byte, 1, nullptr, 0));
        EXPECT_EQ(SPORK_TIMEOUT, status_of_values(line.reader, 0));
        EXPECT_EQ(SPORK_TIMEOUT, spork_connection_poll(line.reader, 0));
        for (int kind = 0; kind < 3; kind++) {
            double begin = spork_time();
            spork_status status = kind == 0   ? spork_connection_recv_bytes(line.reader, &byte, 1, nullptr, 40)
                                  : kind == 1 ? status_of_values(line.reader, 40)
                                              : spork_connection_poll(line.reader, 40);
            double waited = spork_time() - begin;
            EXPECT_EQ(SPORK_TIMEOUT, status);
            EXPECT_GT(waited, 0.030);
        }
        EXPECT_EQ(SPORK_OK, send(line.writer, "later", 0));
        EXPECT_EQ("later", receive(line.reader, 0));
    }
}

// Sends numbered messages of that size until there is no more room; how many were sent.
int fill(spork_connection *to, size_t size, spork_status *last, int timeout_ms)
{
    for (int n = 0; n < 1000000; n++) {
        std::string message = bytes_of(size, static_cast<uint32_t>(n));
        *last = send(to, message, timeout_ms);
        if (*last != SPORK_OK) return n;
    }
    ADD_FAILURE() << "a pipe without an end";
    return 0;
}

TEST_F(Connection, ATimeoutOnAFullPipeMeansThatNothingWasSent)
{
    for (bool duplex : {false, true})
        for (size_t size : {size_t{1000}, size_t{2999}, size_t{4000}}) {
            Line line(duplex);
            spork_status last;
            int sent = fill(line.writer, size, &last, 0);
            EXPECT_GT(sent, 0);
            for (int timeout_ms : {0, 20}) { // neither do later ones send anything
                EXPECT_EQ(SPORK_TIMEOUT, last) << spork_error();
                last = send(line.writer, bytes_of(size, 9999), timeout_ms);
            }
            EXPECT_EQ(SPORK_TIMEOUT,
                      spork_connection_send(line.writer, spork_pack(spork_array(bytes_of(size).data(), size)), 0));
            EXPECT_STRNE("", spork_error());
            for (int n = 0; n < sent; n++)
                ASSERT_TRUE(same(bytes_of(size, static_cast<uint32_t>(n)), receive(line.reader))) << n;
            EXPECT_EQ(SPORK_TIMEOUT, spork_connection_poll(line.reader, 0));
            ASSERT_EQ(SPORK_OK, send(line.writer, "after"));
            EXPECT_EQ("after", receive(line.reader));
        }
}

TEST_F(Connection, ASenderWaitsUntilThereIsRoom)
{
    for (bool duplex : {false, true}) {
        Line line(duplex);
        spork_status last;
        int sent = fill(line.writer, 4000, &last, 0);
        ASSERT_EQ(SPORK_TIMEOUT, last);
        Thread sender([&] { EXPECT_EQ(SPORK_OK, send(line.writer, "waited")) << spork_error(); });
        for (int n = 0; n < sent; n++)
            ASSERT_TRUE(same(bytes_of(4000, static_cast<uint32_t>(n)), receive(line.reader))) << n;
        EXPECT_EQ("waited", receive(line.reader));
    }
}

TEST_F(Connection, AMessageThatWasHalfSentIsBrokenAndNeverSeen)
{
    for (bool duplex : {false, true})
        for (bool values : {false, true}) {
            Line line(duplex);
            std::string large = bytes_of(8u << 20);
            ASSERT_EQ(SPORK_OK, send(line.writer, "before"));
            spork_status status =
                values ? spork_connection_send(line.writer, spork_pack(spork_array(large.data(), large.size())), 30)
                       : send(line.writer, large, 30);
            EXPECT_EQ("before", receive(line.reader));
            if (windows() && status == SPORK_TIMEOUT) { // there a message is one write: nothing of it was sent
                EXPECT_EQ(SPORK_TIMEOUT, spork_connection_poll(line.reader, 0));
                EXPECT_EQ(SPORK_OK, send(line.writer, "after"));
                EXPECT_EQ("after", receive(line.reader));
                continue;
            }
            EXPECT_EQ(SPORK_BROKEN, status) << spork_error();
            EXPECT_STRNE("", spork_error());
            EXPECT_EQ(SPORK_BROKEN, send(line.writer, "x", 0)) << spork_error();
            EXPECT_EQ(SPORK_BROKEN, send(line.writer, "", SPORK_FOREVER));
            EXPECT_EQ(SPORK_BROKEN, spork_connection_send(line.writer, spork_pack(1), SPORK_FOREVER));
            std::string room(large.size(), '?');
            size_t size = 0;
            if (values) {
                ASSERT_EQ(SPORK_CLOSED, status_of_values(line.reader));
            }
            for (size_t offered : {room.size(), size_t{1}})
                ASSERT_EQ(SPORK_CLOSED,
                          spork_connection_recv_bytes(line.reader, room.data(), offered, &size, kWatchdogMs));
            EXPECT_EQ(SPORK_OK, spork_connection_poll(line.reader, 0)) << "the end is something to receive";
            if (duplex && !windows()) { // the other direction is as it was
                EXPECT_EQ(SPORK_OK, send(line.reader, "still")) << spork_error();
                EXPECT_EQ("still", receive(line.writer));
            }
        }
}

// Over a duplex end, whose two directions are one handle on Windows.
TEST_F(Connection, AThreadThatReceivesWhileAMessageIsBrokenOffIsLeftAloneOrGetsTheEnd)
{
    for (bool waits : {false, true}) {
        Line line(kDuplex);
        std::string got;
        Thread receiver([&] {
            spork_wait_item item = spork_on(line.writer.get());
            if (waits) {
                EXPECT_EQ(SPORK_OK, spork_wait(&item, 1, kWatchdogMs)) << spork_error();
            }
            got = receive(line.writer);
        });
        spork_sleep(20); // either order is right
        EXPECT_EQ(SPORK_BROKEN, send(line.writer, bytes_of(8u << 20), 30)) << spork_error();
        if (!windows()) {
            EXPECT_EQ(SPORK_OK, send(line.reader, "still")) << spork_error();
        }
        receiver.join();
        EXPECT_EQ(windows() ? in_words(SPORK_CLOSED) : "still", got);
        EXPECT_EQ(in_words(SPORK_CLOSED), receive(line.reader));
    }
}

TEST_F(Connection, AWaitThatIsOverTakesNothingFromOtherHoldersOfTheEnd)
{
    Line there, back;
    Child child(connections_relay, spork_pack(there.reader.get(), spork_move(back.writer.get())));
    back.writer.release();
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    back.writer.release();
    ASSERT_EQ(SPORK_OK, send(there.writer, "up"));
    ASSERT_EQ("up", receive(back.reader));
    spork_wait_item item = spork_on(there.reader.get());
    EXPECT_EQ(SPORK_TIMEOUT, spork_wait(&item, 1, 30));
    for (const char *word : {"one", "two", "three"}) {
        EXPECT_EQ(SPORK_OK, send(there.writer, word));
        ASSERT_EQ(word, receive(back.reader));
    }
    there.writer.close();
    EXPECT_EQ(0, child.join());
}

// Windows ends what a thread has begun, when it ends.
TEST_F(Connection, AThreadThatWaitedAndHasEndedLeavesTheEndAsItWas)
{
    Line line;
    spork_native handle;
    Thread([&] {
        spork_wait_item item = spork_on(line.reader.get());
        EXPECT_EQ(SPORK_TIMEOUT, spork_wait(&item, 1, 10));
        EXPECT_EQ(SPORK_OK, spork_arm(spork_on(line.reader.get()), &handle)) << spork_error();
    }).join();
    std::string got;
    Thread receiver([&] { got = receive(line.reader, SPORK_FOREVER); });
    spork_sleep(20);
    EXPECT_EQ(SPORK_OK, send(line.writer, "it"));
    receiver.join();
    EXPECT_EQ("it", got);
}

TEST_F(Connection, AMessageThatWasHalfSentIsNeverSeenEvenByOneWhoAskedForItsLengthBefore)
{
    for (bool duplex : {false, true}) {
        Line line(duplex);
        std::string large = bytes_of(8u << 20), room(large.size(), '?');
        spork_status sent = SPORK_OK;
        size_t size = 0;
        Thread sender([&] { sent = send(line.writer, large, 100); });
        spork_status asked = spork_connection_recv_bytes(line.reader, room.data(), 10, &size, kWatchdogMs);
        EXPECT_TRUE(asked == SPORK_TOO_SMALL || asked == SPORK_CLOSED) << spork_status_name(asked);
        sender.join();
        if (windows() && sent != SPORK_BROKEN) continue; // one write, which is whole, or nothing
        EXPECT_EQ(SPORK_BROKEN, sent);
        EXPECT_EQ(SPORK_CLOSED, spork_connection_recv_bytes(line.reader, room.data(), room.size(), &size, kWatchdogMs));
        EXPECT_EQ(SPORK_CLOSED, status_of_values(line.reader));
    }
}

// Wherever memory ends while a message with two objects arrives: a status, nothing hangs, and nothing stays open (TearDown).
TEST_F(Connection, NoMemoryWhileObjectsArriveIsAStatus)
{
    int failed = 0;
    for (long nth = 1; nth <= 6; nth++) {
        Line line(kDuplex), one, other;
        ASSERT_EQ(SPORK_OK,
                  spork_connection_send(line.writer, spork_pack(one.reader.get(), other.reader.get()), kWatchdogMs))
            << spork_error();
        spork_args *values = nullptr;
        spork__fault_arm(SPORK__FAULT_ALLOC, nth, 0, false);
        spork_status status = spork_connection_recv(line.reader, &values, kWatchdogMs);
        spork__fault_arm(SPORK__FAULT_ALLOC, 0, 0, false);
        EXPECT_TRUE(status == SPORK_OK || status == SPORK_NO_MEMORY) << spork_status_name(status);
        EXPECT_EQ(status == SPORK_OK, values != nullptr);
        failed += status != SPORK_OK;
        spork_args_free(values);
    }
    EXPECT_GE(failed, 3); // the message, and each object
}

// ---- poll ----

TEST_F(Connection, PollTellsOfAMessageOfTheEndAndOfNothing)
{
    for (bool duplex : {false, true}) {
        Line line(duplex);
        EXPECT_EQ(SPORK_TIMEOUT, spork_connection_poll(line.reader, 0));
        EXPECT_EQ(SPORK_TIMEOUT, spork_connection_poll(line.reader, 20));
        ASSERT_EQ(SPORK_OK, send(line.writer, "one"));
        EXPECT_EQ(SPORK_OK, spork_connection_poll(line.reader, kWatchdogMs));
        EXPECT_EQ(SPORK_OK, spork_connection_poll(line.reader, 0));
        EXPECT_EQ("one", receive(line.reader, 0));
        EXPECT_EQ(SPORK_TIMEOUT, spork_connection_poll(line.reader, 0));
        line.writer.close();
        EXPECT_EQ(SPORK_OK, spork_connection_poll(line.reader, kWatchdogMs));
        EXPECT_EQ("<SPORK_CLOSED>", receive(line.reader));
        EXPECT_EQ(SPORK_OK, spork_connection_poll(line.reader, SPORK_FOREVER));
    }
}

TEST_F(Connection, PollWakesForAMessageOfAnotherThread)
{
    for (int round : repeat(200)) {
        Line line(round % 2 != 0);
        Thread sender([&] {
            if (round % 4 < 2)
                EXPECT_EQ(SPORK_OK, send(line.writer, "woken"));
            else
                line.writer.close();
        });
        EXPECT_EQ(SPORK_OK, spork_connection_poll(line.reader, kWatchdogMs));
        EXPECT_EQ(round % 4 < 2 ? "woken" : "<SPORK_CLOSED>", receive(line.reader, kWatchdogMs));
    }
}

// ---- the end ----

TEST_F(Connection, GivesWhatWasSentBeforeItsOtherEndClosed)
{
    for (bool duplex : {false, true}) {
        Line line(duplex);
        ASSERT_EQ(SPORK_OK, send(line.writer, "one"));
        ASSERT_EQ(SPORK_OK, send(line.writer, ""));
        ASSERT_EQ(SPORK_OK, send(line.writer, bytes_of(3000)));
        line.writer.close();
        EXPECT_EQ("one", receive(line.reader));
        EXPECT_EQ("", receive(line.reader));
        EXPECT_TRUE(same(bytes_of(3000), receive(line.reader, kWatchdogMs, 5)));
        for (int i = 0; i < 2; i++) {
            EXPECT_EQ("<SPORK_CLOSED>", receive(line.reader, SPORK_FOREVER));
            EXPECT_EQ(SPORK_CLOSED, status_of_values(line.reader, 0));
            EXPECT_STRNE("", spork_error());
        }
    }
}

TEST_F(Connection, GivesWhatWasSentBeforeThoughTheOtherEndDidNotReadEverything)
{
    Line line(kDuplex);
    ASSERT_EQ(SPORK_OK, send(line.writer, "one"));
    ASSERT_EQ(SPORK_OK, send(line.writer, "two"));
    ASSERT_EQ(SPORK_OK, send(line.reader, "never read"));
    line.writer.close(); // a stream socket that has unread bytes ends by a reset
    EXPECT_EQ(SPORK_OK, spork_connection_poll(line.reader, kWatchdogMs));
    EXPECT_EQ("one", receive(line.reader));
    EXPECT_EQ("two", receive(line.reader));
    EXPECT_EQ("<SPORK_CLOSED>", receive(line.reader));
    EXPECT_EQ("<SPORK_CLOSED>", receive(line.reader));
    EXPECT_EQ(SPORK_CLOSED, send(line.reader, "x"));
}

TEST_F(Connection, SendingAfterTheOtherEndDidNotReadEverythingIsClosedAtOnce)
{
    Line line(kDuplex);
    ASSERT_EQ(SPORK_OK, send(line.writer, "one"));
    ASSERT_EQ(SPORK_OK, send(line.reader, "never read"));
    line.writer.close();
    EXPECT_EQ(SPORK_CLOSED, send(line.reader, "x", SPORK_FOREVER)) << spork_error();
    EXPECT_EQ(SPORK_CLOSED, send(line.reader, "x", SPORK_FOREVER)) << spork_error();
    EXPECT_EQ("one", receive(line.reader)); // that was sent before
    EXPECT_EQ("<SPORK_CLOSED>", receive(line.reader));
}

TEST_F(Connection, ASenderIsToldAtOnceThatNobodyCanReceive)
{
    for (bool duplex : {false, true}) {
        Line line(duplex);
        line.reader.close();
        EXPECT_EQ(SPORK_CLOSED, send(line.writer, "x", SPORK_FOREVER));
        EXPECT_STRNE("", spork_error());
        EXPECT_EQ(SPORK_CLOSED, send(line.writer, "", 0));
        EXPECT_EQ(SPORK_CLOSED, send(line.writer, bytes_of(1u << 20), SPORK_FOREVER));
        EXPECT_EQ(SPORK_CLOSED, spork_connection_send(line.writer, spork_pack(1), 0));
    }
}

TEST_F(Connection, ASenderThatWaitsIsToldWhenTheReceiverGoes)
{
    for (bool duplex : {false, true}) {
        Line line(duplex);
        std::string large = bytes_of(4u << 20);
        std::atomic<int> status{-1};
        Thread sender([&] { status = send(line.writer, large, kWatchdogMs); });
        if (!windows()) { // there a message is one write, which this would complete
            EXPECT_EQ(SPORK_OK, spork_connection_poll(line.reader, kWatchdogMs)); // it has begun
        }
        line.reader.close();
        sender.join();
        EXPECT_EQ(SPORK_CLOSED, status);
    }
}

TEST_F(Connection, NoSenderGetsASigpipe)
{
    if (windows()) GTEST_SKIP() << "Windows has no SIGPIPE";
    Child child(connections_no_sigpipe, SPORK_NO_ARGS);
    EXPECT_EQ(0, child.run());
}

TEST_F(Connection, NoSenderGetsASigpipeWhereTheSystemCannotWriteWithout)
{
    if (windows()) GTEST_SKIP() << "Windows has no SIGPIPE";
    Child child(connections_no_sigpipe_of_old, SPORK_NO_ARGS);
    EXPECT_EQ(0, child.run());
}

TEST_F(Connection, ASigpipeOfTheProgramItselfStaysPending)
{
    if (windows()) GTEST_SKIP() << "Windows has no SIGPIPE";
    for (bool whole : {false, true}) {
        Child child(connections_pending_sigpipe, spork_pack(whole));
        EXPECT_EQ(0, child.run()) << (whole ? "sent to the process" : "sent to the thread");
    }
}

// ---- other processes: their ends, and their deaths ----

TEST_F(Connection, MovedToAChildTheEndComesWithTheChildsEnd)
{
    for (bool duplex : {false, true}) {
        Line line(duplex);
        Child child(connections_say, spork_pack(spork_move(line.writer.get()), "said"));
        ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
        line.writer.release();
        EXPECT_EQ("said", receive(line.reader));
        EXPECT_EQ("<SPORK_CLOSED>", receive(line.reader));
        EXPECT_EQ(0, child.join());
    }
}

TEST_F(Connection, NotMovedTheEndComesOnlyWhenTheCopyHereIsGone)
{
    for (bool duplex : {false, true}) {
        Line line(duplex);
        Child child(connections_say, spork_pack(line.writer.get(), "said"));
        ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
        EXPECT_EQ(0, child.join());
        EXPECT_EQ("said", receive(line.reader));
        EXPECT_EQ("<SPORK_TIMEOUT>", receive(line.reader, 20));
        ASSERT_EQ(SPORK_OK, send(line.writer, "said here"));
        EXPECT_EQ("said here", receive(line.reader));
        line.writer.close();
        EXPECT_EQ("<SPORK_CLOSED>", receive(line.reader));
    }
}

TEST_F(Connection, OfAnEndThatIsMovedNothingIsGoneIfTheStartFails)
{
    Line line;
    spork_native none[] = {7777};
    spork_process_options o = options_for(connections_say, spork_pack(spork_move(line.writer.get()), "x"));
    o.pass_fds = none;
    o.pass_fds_count = 1;
    Child child(spork_process_new_with(&o));
    EXPECT_NE(SPORK_OK, child.start());
    ASSERT_EQ(SPORK_OK, send(line.writer, "still mine"));
    EXPECT_EQ("still mine", receive(line.reader));
}

TEST_F(Connection, SiblingsDoNotHoldWhatTheyWereNotGiven)
{
    Line barrier, held, own;
    Child sibling(connections_hold, spork_pack(spork_move(held.writer.get()), barrier.reader.get()));
    ASSERT_EQ(SPORK_OK, sibling.start()) << spork_error();
    held.writer.release();
    Child child(connections_say, spork_pack(spork_move(own.writer.get()), "said"));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    own.writer.release();
    Child later(connections_hold, spork_pack(own.reader.get(), barrier.reader.get()));
    ASSERT_EQ(SPORK_OK, later.start()) << spork_error();
    EXPECT_EQ("said", receive(own.reader));
    EXPECT_EQ("<SPORK_CLOSED>", receive(own.reader));
    EXPECT_EQ("<SPORK_TIMEOUT>", receive(held.reader, 0));
    barrier.writer.close();
    EXPECT_EQ("<SPORK_CLOSED>", receive(held.reader));
    EXPECT_EQ(0, sibling.join());
    EXPECT_EQ(0, later.join());
    EXPECT_EQ(0, child.join());
}

TEST_F(Connection, NotPassedItIsNotShared)
{
    if (spork_get_start_method() != SPORK_FORK) GTEST_SKIP() << "only a forked child can see its parent's objects";
    Line line(kDuplex), other(kDuplex);
    Child child(connections_not_shared,
                spork_pack(spork_move(line.writer.get()),
                           static_cast<uint64_t>(reinterpret_cast<uintptr_t>(other.reader.get()))));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    line.writer.release();
    EXPECT_EQ("not shared", receive(line.reader));
    EXPECT_EQ(0, child.join());
    ASSERT_EQ(SPORK_OK, send(other.writer, "untouched"));
    EXPECT_EQ("untouched", receive(other.reader));
}

TEST_F(Connection, OfASenderThatIsKilledInTheMiddleNoPartIsSeen)
{
    for (bool duplex : {false, true})
        for (bool values : {false, true}) {
            Line line(duplex);
            size_t size = 8u << 20;
            Child child(connections_die_sending, spork_pack(spork_move(line.writer.get()), size));
            ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
            line.writer.release();
            EXPECT_EQ("before", receive(line.reader));
            EXPECT_EQ("before", receive(line.reader));
            if (!windows()) { // there a message is one write, which this would complete
                ASSERT_EQ(SPORK_OK, spork_connection_poll(line.reader, kWatchdogMs)); // it has begun
            }
            char byte;
            if (values && !windows()) { // and we have begun to receive, too
                EXPECT_EQ(SPORK_TOO_SMALL, spork_connection_recv_bytes(line.reader, &byte, 1, nullptr, kWatchdogMs));
            }
            spork_process_kill(child.get());
            EXPECT_EQ(-9, child.join());
            std::string room(size, '?');
            size_t got = 0;
            if (values) {
                EXPECT_EQ(SPORK_CLOSED, status_of_values(line.reader));
            }
            EXPECT_EQ(SPORK_CLOSED,
                      spork_connection_recv_bytes(line.reader, room.data(), room.size(), &got, kWatchdogMs))
                << spork_error();
            EXPECT_EQ("<SPORK_CLOSED>", receive(line.reader));
        }
}

TEST_F(Connection, APeerThatIsKilledWhileWeWaitIsClosed)
{
    Line line(kDuplex);
    Child child(connections_wait, spork_pack(spork_move(line.reader.get())));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    line.reader.release();
    EXPECT_EQ("ready", receive(line.writer));
    EXPECT_EQ("<SPORK_TIMEOUT>", receive(line.writer, 10));
    Thread killer([&] { spork_process_kill(child.get()); });
    EXPECT_EQ("<SPORK_CLOSED>", receive(line.writer));
    EXPECT_EQ(SPORK_CLOSED, send(line.writer, "x"));
    killer.join();
    EXPECT_EQ(-9, child.join());
}

TEST_F(Connection, AReceiverThatIsKilledWhileWeSendIsClosed)
{
    for (bool duplex : {false, true}) {
        Line line(duplex), barrier;
        Child child(connections_hold, spork_pack(spork_move(line.reader.get()), barrier.reader.get()));
        ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
        line.reader.release();
        spork_status last;
        fill(line.writer, 4000, &last, 0);
        ASSERT_EQ(SPORK_TIMEOUT, last);
        Thread killer([&] { spork_process_kill(child.get()); });
        EXPECT_EQ(SPORK_CLOSED, send(line.writer, bytes_of(4000))) << spork_error();
        killer.join();
        EXPECT_EQ(-9, child.join());
    }
}

// ---- objects ----

TEST_F(Connection, CarriesAnEndToAnotherProcess)
{
    Line line(kDuplex);
    Child child(connections_serve, spork_pack(spork_move(line.reader.get())));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    line.reader.release();
    for (int i = 0; i < 4; i++) {
        bool moved = i % 2 != 0;
        Line given(i > 1);
        spork_connection *end = given.writer;
        ASSERT_EQ(SPORK_OK, spork_connection_send(line.writer, moved ? spork_pack(spork_move(end)) : spork_pack(end),
                                                  kWatchdogMs))
            << spork_error();
        if (moved) given.writer.release();
        EXPECT_EQ("served", receive(given.reader));
        if (!moved) {
            EXPECT_EQ("<SPORK_TIMEOUT>", receive(given.reader, 0));
            ASSERT_EQ(SPORK_OK, send(given.writer, "ours")) << "not moved, it is still here";
            EXPECT_EQ("ours", receive(given.reader));
            given.writer.close();
        }
        EXPECT_EQ("<SPORK_CLOSED>", receive(given.reader)) << "the child has freed what came";
    }
    line.writer.close();
    EXPECT_EQ(0, child.join());
}

// What connections_give_back sends.
void expect_a_reader(spork_connection *from)
{
    Message message = receive_values(from);
    const char *text = nullptr;
    spork_connection *end = nullptr;
    ASSERT_EQ(SPORK_OK, spork_unpack(message.get(), &text, &end)) << spork_error();
    EXPECT_STREQ("a reader", text);
    EXPECT_EQ("made", receive(end));
    EXPECT_EQ("<SPORK_CLOSED>", receive(end));
}

TEST_F(Connection, CarriesAnEndFromAnotherProcess)
{
    Line line(kDuplex);
    Child child(connections_give_back, spork_pack(spork_move(line.reader.get()), true));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    line.reader.release();
    expect_a_reader(line.writer);
    line.writer.close();
    EXPECT_EQ(0, child.join());
}

TEST_F(Connection, CarriesAnEndFromAProcessThatHasEnded)
{
    if (windows()) GTEST_SKIP() << "on Windows objects stay their sender's until they are received";
    Line line(kDuplex);
    Child child(connections_give_back, spork_pack(spork_move(line.reader.get()), false));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    line.reader.release();
    EXPECT_EQ(0, child.join());
    expect_a_reader(line.writer);
    EXPECT_EQ("<SPORK_CLOSED>", receive(line.writer));
}

TEST_F(Connection, CarriesManyObjectsEachToItsMessage)
{
    Line line(kDuplex);
    int count = harness_count(200);
    Child child(connections_many_objects, spork_pack(spork_move(line.reader.get()), count));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    line.reader.release();
    for (int i = 0; i < count; i++) {
        Message message = receive_values(line.writer), inside;
        spork_connection *end = nullptr;
        int number = -1, said = -1;
        ASSERT_EQ(SPORK_OK, spork_unpack(message.get(), &number, &end)) << spork_error();
        EXPECT_EQ(i, number);
        inside = receive_values(end);
        ASSERT_EQ(SPORK_OK, spork_unpack(inside.get(), &said)) << spork_error();
        EXPECT_EQ(i, said);
    }
    line.writer.close();
    EXPECT_EQ(0, child.join());
}

TEST_F(Connection, CarriesSixteenEndsInOneMessage)
{
    Line line(kDuplex);
    Child child(connections_number, spork_pack(spork_move(line.reader.get())));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    line.reader.release();
    std::vector<std::unique_ptr<Line>> given;
    spork_connection *w[16];
    for (size_t i = 0; i < 16; i++) {
        given.push_back(std::make_unique<Line>(i % 3 == 0));
        w[i] = given[i]->writer.release();
    }
    EXPECT_EQ(SPORK_OK, spork_connection_send(
                            line.writer,
                            spork_pack(spork_move(w[0]), spork_move(w[1]), spork_move(w[2]), spork_move(w[3]),
                                       spork_move(w[4]), spork_move(w[5]), spork_move(w[6]), spork_move(w[7]),
                                       spork_move(w[8]), spork_move(w[9]), spork_move(w[10]), spork_move(w[11]),
                                       spork_move(w[12]), spork_move(w[13]), spork_move(w[14]), spork_move(w[15])),
                            kWatchdogMs))
        << spork_error();
    for (int i = 0; i < 16; i++) {
        int number = -1;
        spork_connection *reader = given[static_cast<size_t>(i)]->reader;
        Message message = receive_values(reader);
        EXPECT_EQ(SPORK_OK, spork_unpack(message.get(), &number));
        EXPECT_EQ(i, number);
        EXPECT_EQ("<SPORK_CLOSED>", receive(reader));
    }
    line.writer.close();
    EXPECT_EQ(0, child.join());
}

TEST_F(Connection, CarriesAnEndOfItselfToItsOtherEnd)
{
    Line line(kDuplex);
    for (spork_connection *sent : {line.writer.get(), line.reader.get()}) { // itself, and the one that receives it
        ASSERT_EQ(SPORK_OK, spork_connection_send(line.writer, spork_pack(sent), kWatchdogMs)) << spork_error();
        End copy = receive_end(line.reader);
        spork_connection *other = sent == line.writer.get() ? line.reader.get() : line.writer.get();
        ASSERT_EQ(SPORK_OK, send(copy, "from the copy"));
        EXPECT_EQ("from the copy", receive(other));
        ASSERT_EQ(SPORK_OK, send(other, "to the copy"));
        EXPECT_EQ("to the copy", receive(copy));
    }
    End copy;
    ASSERT_EQ(SPORK_OK, spork_connection_send(line.writer, spork_pack(line.writer.get()), kWatchdogMs));
    copy = receive_end(line.reader);
    line.writer.close();
    EXPECT_EQ("<SPORK_TIMEOUT>", receive(line.reader, 0)) << "the copy lives";
    copy.close();
    EXPECT_EQ("<SPORK_CLOSED>", receive(line.reader));
}

TEST_F(Connection, CarriesItselfMoved)
{
    Line line(kDuplex);
    ASSERT_EQ(SPORK_OK, spork_connection_send(line.writer, spork_pack(spork_move(line.writer.get())), kWatchdogMs))
        << spork_error();
    line.writer.release();
    End moved = receive_end(line.reader);
    ASSERT_EQ(SPORK_OK, send(moved, "from the moved"));
    EXPECT_EQ("from the moved", receive(line.reader));
    ASSERT_EQ(SPORK_OK, send(line.reader, "to the moved"));
    EXPECT_EQ("to the moved", receive(moved));
    moved.close();
    EXPECT_EQ("<SPORK_CLOSED>", receive(line.reader));
}

TEST_F(Connection, CarriesItsOtherEndMovedAndBack)
{
    Line line(kDuplex);
    spork_connection *reader = line.reader.get();
    ASSERT_EQ(SPORK_OK, spork_connection_send(line.writer, spork_pack(reader), kWatchdogMs)); // a copy flies to reader
    End copy = receive_end(line.reader);
    ASSERT_EQ(SPORK_OK, spork_connection_send(line.writer, spork_pack(spork_move(line.reader.release())), kWatchdogMs))
        << spork_error(); // it is in its own hands: the copy receives it
    End moved = receive_end(copy);
    copy.close();
    ASSERT_EQ(SPORK_OK, send(line.writer, "once more"));
    EXPECT_EQ("once more", receive(moved));
    moved.close();
    EXPECT_EQ(SPORK_CLOSED, send(line.writer, "x"));
}

TEST_F(Connection, CarriesObjectsBesideLargeValues)
{
    Line line(kDuplex), given;
    std::string large = bytes_of(1u << 20);
    spork_bytes bytes = spork_bytes_of(large.data(), large.size()), got = {};
    Thread sender([&] {
        spork_connection *end = given.writer.release();
        EXPECT_EQ(SPORK_OK, spork_connection_send(line.writer, spork_pack(bytes, spork_move(end), bytes), kWatchdogMs))
            << spork_error();
    });
    size_t needed = 0;
    EXPECT_EQ(SPORK_TOO_SMALL, spork_connection_recv_bytes(line.reader, nullptr, 0, &needed, kWatchdogMs));
    EXPECT_EQ(SPORK_OK, spork_connection_poll(line.reader, 0));
    Message message = receive_values(line.reader); // the object is still with it
    spork_connection *end = nullptr;
    spork_bytes second = {};
    ASSERT_EQ(SPORK_OK, spork_unpack(message.get(), &got, &end, &second)) << spork_error();
    EXPECT_TRUE(same(large, std::string(static_cast<const char *>(second.data), second.size)));
    ASSERT_EQ(SPORK_OK, send(end, "it works"));
    EXPECT_EQ("it works", receive(given.reader));
}

TEST_F(Connection, CarriesObjectsOfOtherKinds)
{
    Line line(kDuplex);
    Pipe pipe;
    ASSERT_EQ(SPORK_OK,
              spork_connection_send(line.writer, spork_pack(spork_move(harness_give(pipe.writer))), kWatchdogMs))
        << spork_error();
    pipe.writer = nullptr;
    Message message = receive_values(line.reader);
    harness_end *end = nullptr;
    ASSERT_EQ(SPORK_OK, spork_unpack(message.get(), harness_take(&end))) << spork_error();
    EXPECT_TRUE(harness_write(end, "of another kind", 15));
    message.reset();
    EXPECT_EQ("of another kind", pipe.rest());
}

TEST_F(Connection, OneWayCarriesNoObjects)
{
    Line line, given;
    spork_connection *end = given.writer;
    EXPECT_EQ(SPORK_UNSUPPORTED, spork_connection_send(line.writer, spork_pack("x", end), kWatchdogMs));
    EXPECT_NE(nullptr, strstr(spork_error(), "duplex")) << spork_error();
    EXPECT_EQ(SPORK_UNSUPPORTED, spork_connection_send(line.writer, spork_pack(spork_move(end)), kWatchdogMs));
    EXPECT_EQ(SPORK_TIMEOUT, spork_connection_poll(line.reader, 0)) << "nothing was sent";
    ASSERT_EQ(SPORK_OK, send(given.writer, "still mine")) << spork_error();
    EXPECT_EQ("still mine", receive(given.reader));
    ASSERT_EQ(SPORK_OK, send(line.writer, "without")) << "and it goes on";
    EXPECT_EQ("without", receive(line.reader));
}

TEST_F(Connection, ReceivedObjectsEndWithTheirMessageUnlessKept)
{
    Line line(kDuplex);
    for (bool keep : {false, true}) {
        Line given;
        spork_connection *end = nullptr;
        ASSERT_EQ(SPORK_OK,
                  spork_connection_send(line.writer, spork_pack(spork_move(given.writer.release())), kWatchdogMs));
        Message message = receive_values(line.reader);
        ASSERT_EQ(SPORK_OK, spork_unpack(message.get(), &end)) << spork_error();
        if (keep) {
            EXPECT_EQ(SPORK_OK, spork_keep(end)) << spork_error();
        }
        ASSERT_EQ(SPORK_OK, send(end, "in time"));
        message.reset();
        EXPECT_EQ("in time", receive(given.reader));
        if (keep) {
            EXPECT_EQ("<SPORK_TIMEOUT>", receive(given.reader, 0));
            ASSERT_EQ(SPORK_OK, send(end, "kept"));
            EXPECT_EQ("kept", receive(given.reader));
            EXPECT_EQ(SPORK_INVALID, spork_keep(end)) << "it is ours already";
            spork_connection_free(end);
        }
        EXPECT_EQ("<SPORK_CLOSED>", receive(given.reader));
    }
}

// Its memory is malloc's again by then: freed objects are remembered for a while, so others are
// freed, too. It can fail where AddressSanitizer, or MALLOC_PERTURB_ as in the preset c17, looks
// after that memory.
TEST_F(Connection, WhatWasKeptAndFreedIsNothingOfItsMessagesAnyMore)
{
    Line line(kDuplex), given;
    std::vector<Line> before(10), after(100); // the first ones are what malloc keeps, unspoilt, for the next who asks
    spork_connection *kept = nullptr;
    ASSERT_EQ(SPORK_OK, spork_connection_send(line.writer, spork_pack(spork_move(given.writer.release())), kWatchdogMs));
    Message message = receive_values(line.reader);
    ASSERT_EQ(SPORK_OK, spork_unpack(message.get(), &kept)) << spork_error();
    ASSERT_EQ(SPORK_OK, spork_keep(kept));
    before.clear();
    spork_connection_free(kept);
    after.clear();
    message.reset();
    ASSERT_EQ(SPORK_OK, send(line.writer, "alive"));
    EXPECT_EQ("alive", receive(line.reader));
}

TEST_F(Connection, WhatCameInAMessageIsMovedOnOnlyOnceItIsKeptAndOnlyOnceInAPack)
{
    Line line(kDuplex), given;
    spork_connection *end = nullptr;
    ASSERT_EQ(SPORK_OK,
              spork_connection_send(line.writer, spork_pack(spork_move(given.writer.release())), kWatchdogMs));
    Message message = receive_values(line.reader);
    ASSERT_EQ(SPORK_OK, spork_unpack(message.get(), &end)) << spork_error();
    EXPECT_EQ(SPORK_INVALID, spork_connection_send(line.reader, spork_pack(spork_move(end)), kWatchdogMs));
    EXPECT_TRUE(strstr(spork_error(), "spork_keep") != nullptr) << spork_error();
    Child child(connections_echo, spork_pack(spork_move(end)));
    EXPECT_EQ(SPORK_INVALID, child.start());
    EXPECT_EQ(SPORK_OK, spork_keep(end)) << spork_error();
    EXPECT_EQ(SPORK_INVALID,
              spork_connection_send(line.reader, spork_pack(spork_move(end), spork_move(end)), kWatchdogMs));
    ASSERT_EQ(SPORK_OK, send(end, "still there"));
    EXPECT_EQ("still there", receive(given.reader));
    EXPECT_EQ(SPORK_OK, spork_connection_send(line.reader, spork_pack(spork_move(end)), kWatchdogMs)) << spork_error();
    message.reset();
}

TEST_F(Connection, OfAMessageThatNobodyReceivesTheObjectsEndToo)
{
    if (windows()) GTEST_SKIP() << "on Windows objects stay their sender's until they are received";
    Line given;
    {
        Line line(kDuplex);
        ASSERT_EQ(SPORK_OK,
                  spork_connection_send(line.writer, spork_pack(spork_move(given.writer.release())), kWatchdogMs));
    }
    EXPECT_EQ("<SPORK_CLOSED>", receive(given.reader));
}

TEST_F(Connection, OfAMessageThatIsTakenAsBytesTheObjectsEndToo)
{
    if (windows()) GTEST_SKIP() << "on Windows objects stay their sender's until they are received";
    Line line(kDuplex), given;
    ASSERT_EQ(SPORK_OK,
              spork_connection_send(line.writer, spork_pack(spork_move(given.writer.release())), kWatchdogMs));
    EXPECT_NE('<', receive(line.reader)[0]);
    ASSERT_EQ(SPORK_OK, send(line.writer, "next"));
    EXPECT_EQ("next", receive(line.reader));
    EXPECT_EQ("<SPORK_CLOSED>", receive(given.reader));
}

TEST_F(Connection, AnObjectThatCannotBeSentInTimeStaysHere)
{
    Line line(kDuplex), given;
    spork_status last;
    int sent = fill(line.writer, 4000, &last, 0);
    ASSERT_EQ(SPORK_TIMEOUT, last);
    std::string text(4000, 't');
    EXPECT_EQ(SPORK_TIMEOUT,
              spork_connection_send(line.writer, spork_pack(text.c_str(), spork_move(given.writer.get())), 10));
    ASSERT_EQ(SPORK_OK, send(given.writer, "still mine")) << spork_error();
    EXPECT_EQ("still mine", receive(given.reader));
    for (int n = 0; n < sent; n++)
        ASSERT_TRUE(same(bytes_of(4000, static_cast<uint32_t>(n)), receive(line.reader))) << n;
    EXPECT_EQ(SPORK_TIMEOUT, spork_connection_poll(line.reader, 0));
}

TEST_F(Connection, WithoutDescriptorsNothingIsMadeAndNothingLeaks)
{
    if (windows()) GTEST_SKIP() << "Windows does not limit the handles of a process";
    if (harness_instrumented()) GTEST_SKIP() << "sanitizers open files of their own";
    Child child(connections_no_descriptors, SPORK_NO_ARGS);
    EXPECT_EQ(0, child.run());
}

// ---- misuse ----

TEST_F(Connection, TheWrongDirectionIsInvalidWithASentence)
{
    Line line;
    char byte;
    EXPECT_EQ(SPORK_INVALID, spork_connection_send(line.reader, spork_pack(1), 0));
    EXPECT_NE(nullptr, strstr(spork_error(), "receive")) << spork_error();
    EXPECT_EQ(SPORK_INVALID, spork_connection_send_bytes(line.reader, "x", 1, SPORK_FOREVER));
    EXPECT_NE(nullptr, strstr(spork_error(), "receive")) << spork_error();
    EXPECT_EQ(SPORK_INVALID, status_of_values(line.writer, SPORK_FOREVER));
    EXPECT_NE(nullptr, strstr(spork_error(), "send")) << spork_error();
    EXPECT_EQ(SPORK_INVALID, spork_connection_recv_bytes(line.writer, &byte, 1, nullptr, 0));
    EXPECT_NE(nullptr, strstr(spork_error(), "send")) << spork_error();
    EXPECT_EQ(SPORK_INVALID, spork_connection_poll(line.writer, SPORK_FOREVER));
    EXPECT_NE(nullptr, strstr(spork_error(), "send")) << spork_error();
    ASSERT_EQ(SPORK_OK, send(line.writer, "the right one"));
    EXPECT_EQ("the right one", receive(line.reader));
}

TEST_F(Connection, NullIsInvalidAndKeepsTheSentence)
{
    Line line;
    char byte;
    spork_args *message = nullptr;
    EXPECT_EQ(SPORK_INVALID, spork_connection_poll(line.writer, 0));
    std::string sentence = spork_error();
    EXPECT_EQ(SPORK_INVALID, spork_connection_send(nullptr, spork_pack(1), 0));
    EXPECT_EQ(SPORK_INVALID, spork_connection_send_bytes(nullptr, "x", 1, 0));
    EXPECT_EQ(SPORK_INVALID, spork_connection_recv(nullptr, &message, 0));
    EXPECT_EQ(SPORK_INVALID, spork_connection_recv_bytes(nullptr, &byte, 1, nullptr, 0));
    EXPECT_EQ(SPORK_INVALID, spork_connection_poll(nullptr, SPORK_FOREVER));
    EXPECT_EQ(-1, spork_connection_detach(nullptr));
    spork_connection_free(nullptr);
    spork_args_free(nullptr);
    EXPECT_EQ(sentence, spork_error());
    EXPECT_EQ(nullptr, message);
}

TEST_F(Connection, ArgumentsThatAreNullAreInvalid)
{
    Line line;
    spork_connection *reader = line.reader, *writer = line.writer, *r = reader, *w = writer;
    EXPECT_EQ(SPORK_INVALID, spork_pipe(nullptr, &w));
    EXPECT_EQ(SPORK_INVALID, spork_pipe(&r, nullptr));
    EXPECT_EQ(nullptr, r);
    EXPECT_EQ(nullptr, w);
    r = reader, w = writer;
    EXPECT_EQ(SPORK_INVALID, spork_pipe_duplex(nullptr, &w));
    EXPECT_EQ(SPORK_INVALID, spork_pipe_duplex(&r, nullptr));
    EXPECT_EQ(nullptr, r);
    EXPECT_EQ(nullptr, w);
    EXPECT_EQ(SPORK_INVALID, spork_pipe_duplex(nullptr, nullptr));
    EXPECT_EQ(SPORK_INVALID, spork_connection_send_bytes(line.writer, nullptr, 1, 0));
    ASSERT_EQ(SPORK_OK, send(line.writer, "stays"));
    EXPECT_EQ(SPORK_INVALID, spork_connection_recv(line.reader, nullptr, 0));
    EXPECT_EQ(SPORK_INVALID, spork_connection_recv_bytes(line.reader, nullptr, 100, nullptr, 0));
    EXPECT_EQ("stays", receive(line.reader));
}

// ---- the warning ----

TEST_F(Connection, WhoReceivesWhileHoldingTheSendingEndIsWarnedOnce)
{
    for (bool duplex : {false, true}) {
        forget_log();
        Line line(duplex);
        EXPECT_EQ("<SPORK_TIMEOUT>", receive(line.reader, 10));
        EXPECT_EQ("<SPORK_TIMEOUT>", receive(line.reader, 10));
        EXPECT_EQ(SPORK_TIMEOUT, status_of_values(line.reader, 10));
        ASSERT_EQ(1u, logged()) << (duplex ? "duplex" : "one-way");
        EXPECT_NE(std::string::npos, log_text().find("spork_move")) << log_text();
    }
}

TEST_F(Connection, WhoReceivesWithoutTheSendingEndIsNotWarned)
{
    Line there, back, duplex(kDuplex), closed;
    Child child(connections_relay, spork_pack(spork_move(there.reader.get()), spork_move(back.writer.get())));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    there.reader.release();
    back.writer.release();
    Child other(connections_echo, spork_pack(spork_move(duplex.reader.get())));
    ASSERT_EQ(SPORK_OK, other.start()) << spork_error();
    duplex.reader.release();
    EXPECT_EQ("<SPORK_TIMEOUT>", receive(back.reader, 10));
    ASSERT_EQ(SPORK_OK, send(there.writer, "x"));
    EXPECT_EQ("x", receive(back.reader));
    EXPECT_EQ("<SPORK_TIMEOUT>", receive(duplex.writer, 10));
    ASSERT_EQ(SPORK_OK, send(duplex.writer, "y"));
    EXPECT_EQ("y", receive(duplex.writer));
    closed.writer.close();
    EXPECT_EQ("<SPORK_CLOSED>", receive(closed.reader));
    there.writer.close();
    duplex.writer.close();
    EXPECT_EQ(0, child.join());
    EXPECT_EQ(0, other.join());
    EXPECT_EQ(0u, logged()) << log_text();
}

// ---- detach ----

TEST_F(Connection, ADetachedEndIsTheCallers)
{
    Line line;
    ASSERT_EQ(SPORK_OK, send(line.writer, "before"));
    spork_native native = spork_connection_detach(line.writer);
    line.writer.release();
    ASSERT_NE(-1, native) << spork_error();
    EXPECT_EQ("before", receive(line.reader));
    EXPECT_EQ("<SPORK_TIMEOUT>", receive(line.reader, 0));
    spork__os_handle_close(native);
    EXPECT_EQ("<SPORK_CLOSED>", receive(line.reader));
}

TEST_F(Connection, TellsItsHandleAndKeepsIt)
{
    Line line;
    spork_native native = spork_connection_handle(line.writer);
    EXPECT_NE(-1, native);
    EXPECT_NE(native, spork_connection_handle(line.reader));
    ASSERT_EQ(SPORK_OK, send(line.writer, "still"));
    EXPECT_EQ("still", receive(line.reader));
    EXPECT_EQ(native, spork_connection_detach(line.writer.release())) << "it was that one";
    spork__os_handle_close(native);
    EXPECT_EQ(-1, spork_connection_handle(nullptr));
}

TEST_F(Connection, IsNotDetachedWhileAMessageWasTooLong)
{
    for (bool duplex : {false, true}) {
        Line line(duplex);
        ASSERT_EQ(SPORK_OK, send(line.writer, "too long"));
        char byte;
        ASSERT_EQ(SPORK_TOO_SMALL, spork_connection_recv_bytes(line.reader, &byte, 1, nullptr, kWatchdogMs));
        EXPECT_EQ(-1, spork_connection_detach(line.reader));
        EXPECT_EQ(SPORK_BAD_STATE, spork_last_status());
        EXPECT_EQ("too long", receive(line.reader)) << "it stays as it is";
        spork_native native = spork_connection_detach(line.reader);
        ASSERT_NE(-1, native) << spork_error();
        line.reader.release();
        spork__os_handle_close(native);
        EXPECT_EQ(SPORK_CLOSED, send(line.writer, "x"));
    }
}

#ifndef _WIN32

// A connection whose other end is a plain descriptor, in the hands of somebody who writes what he likes.
struct Raw {
    End end;
    int fd = -1;
    explicit Raw(bool duplex, bool ours_sends = false)
    {
        Line line(duplex);
        end = std::move(ours_sends ? line.writer : line.reader);
        fd = static_cast<int>(spork_connection_detach(ours_sends ? line.reader : line.writer));
        (ours_sends ? line.reader : line.writer).release();
        EXPECT_GE(fd, 0) << spork_error();
    }
    ~Raw() { close(); }
    Raw(const Raw &) = delete;
    Raw &operator=(const Raw &) = delete;
    void close()
    {
        if (fd >= 0) ::close(fd);
        fd = -1;
    }
    void write(const std::string &bytes) const
    {
        ASSERT_EQ(static_cast<ssize_t>(bytes.size()), ::write(fd, bytes.data(), bytes.size()));
    }
    std::string read(size_t size) const
    {
        std::string bytes(size, '?');
        size_t got = 0;
        for (ssize_t n; got < size && (n = ::read(fd, bytes.data() + got, size - got)) > 0;)
            got += static_cast<size_t>(n);
        bytes.resize(got);
        return bytes;
    }
};

std::string big_endian(uint64_t number, int bytes)
{
    std::string all;
    for (int i = bytes - 1; i >= 0; i--) all += static_cast<char>(number >> (8 * i));
    return all;
}
std::string framed(const std::string &body) { return big_endian(body.size(), 4) + body; }
std::string long_header(uint64_t length) { return big_endian(0xFFFFFFFF, 4) + big_endian(length, 8); }

TEST_F(Connection, ADetachedReaderIsBlockingAndSeesTheFraming)
{
    for (bool duplex : {false, true}) {
        Raw raw(duplex, true);
        EXPECT_EQ(0, fcntl(raw.fd, F_GETFL) & O_NONBLOCK);
        ASSERT_EQ(SPORK_OK, send(raw.end, "hello"));
        ASSERT_EQ(SPORK_OK, send(raw.end, ""));
        ASSERT_EQ(SPORK_OK, send(raw.end, bytes_of(20000)));
        EXPECT_EQ(std::string("\0\0\0\5hello\0\0\0\0", 13), raw.read(13));
        EXPECT_TRUE(same(framed(bytes_of(20000)), raw.read(20004)));
        Thread sender([&] { EXPECT_EQ(SPORK_OK, send(raw.end, bytes_of(1u << 20))); });
        EXPECT_TRUE(same(framed(bytes_of(1u << 20)), raw.read((1u << 20) + 4)));
        sender.join();
        raw.end.close();
        EXPECT_EQ("", raw.read(1));
    }
}

TEST_F(Connection, ADetachedWriterIsBlockingAndIsUnderstood)
{
    for (bool duplex : {false, true}) {
        Raw raw(duplex);
        EXPECT_EQ(0, fcntl(raw.fd, F_GETFL) & O_NONBLOCK);
        raw.write(framed("hello") + framed("") + framed(bytes_of(20000)));
        EXPECT_EQ("hello", receive(raw.end));
        EXPECT_EQ("", receive(raw.end));
        EXPECT_TRUE(same(bytes_of(20000), receive(raw.end)));
        std::string large = framed(bytes_of(1u << 20));
        Thread sender([&] { raw.write(large); });
        EXPECT_TRUE(same(bytes_of(1u << 20), receive(raw.end)));
    }
}

TEST_F(Connection, WhatWasNotReceivedYetIsReadFromTheDetachedDescriptor)
{
    for (bool duplex : {false, true}) {
        Line line(duplex);
        ASSERT_EQ(SPORK_OK, send(line.writer, "one"));
        ASSERT_EQ(SPORK_OK, send(line.writer, "two"));
        EXPECT_EQ(SPORK_OK, spork_connection_poll(line.reader, kWatchdogMs));
        EXPECT_EQ("one", receive(line.reader));
        EXPECT_EQ(SPORK_OK, spork_connection_poll(line.reader, kWatchdogMs));
        auto fd = static_cast<int>(spork_connection_detach(line.reader));
        line.reader.release();
        ASSERT_GE(fd, 0) << spork_error();
        char room[16];
        EXPECT_EQ(7, read(fd, room, sizeof room));
        EXPECT_EQ(0, memcmp(room, "\0\0\0\3two", 7));
        ::close(fd);
    }
}

TEST_F(Connection, AMessageThatComesInPiecesArrivesWhole)
{
    for (bool duplex : {false, true})
        for (bool small_first : {false, true}) {
            Raw raw(duplex);
            std::string body = bytes_of(300), wire = framed(body) + framed("next");
            char room[10];
            for (size_t i = 0; i < wire.size(); i++) {
                raw.write(wire.substr(i, 1));
                if (i + 1 >= 304) continue;
                if (small_first) {
                    size_t size = 300;
                    spork_status status = spork_connection_recv_bytes(raw.end, room, sizeof room, &size, 0);
                    ASSERT_TRUE(status == SPORK_TIMEOUT || (status == SPORK_TOO_SMALL && i >= 3))
                        << spork_status_name(status) << " " << i;
                    EXPECT_TRUE(status == SPORK_TIMEOUT || size == 300) << size;
                }
                ASSERT_EQ("<SPORK_TIMEOUT>", receive(raw.end, 0, 300)) << i;
                ASSERT_EQ(SPORK_TIMEOUT, status_of_values(raw.end, 0)) << i;
            }
            EXPECT_TRUE(same(body, receive(raw.end)));
            EXPECT_EQ("next", receive(raw.end));
        }
}

TEST_F(Connection, IsNotDetachedWhileAMessageIsHalfReceived)
{
    for (bool duplex : {false, true})
        for (size_t come : {size_t{1}, size_t{4}, size_t{50}}) {
            Raw raw(duplex);
            std::string wire = framed(bytes_of(100));
            raw.write(wire.substr(0, come));
            EXPECT_EQ("<SPORK_TIMEOUT>", receive(raw.end, 5));
            EXPECT_EQ(-1, spork_connection_detach(raw.end)) << come;
            EXPECT_EQ(SPORK_BAD_STATE, spork_last_status());
            raw.write(wire.substr(come));
            EXPECT_TRUE(same(bytes_of(100), receive(raw.end)));
            auto fd = static_cast<int>(spork_connection_detach(raw.end));
            ASSERT_GE(fd, 0) << spork_error();
            raw.end.release();
            ::close(fd);
        }
}

// ---- bytes that no Spork process wrote ----

TEST_F(Connection, WhatEndsInTheMiddleOfAMessageIsClosed)
{
    std::string wire = framed(bytes_of(100));
    std::vector<std::string> wires;
    for (size_t length : {size_t{1}, size_t{2}, size_t{3}, size_t{4}, size_t{5}, size_t{50}, size_t{103}})
        wires.push_back(wire.substr(0, length));
    wire = long_header(uint64_t{1} << 31) + "body";
    for (size_t length = 4; length <= wire.size(); length++) wires.push_back(wire.substr(0, length));
    wires.push_back(big_endian(0x7FFFFFFF, 4) + "body");
    for (bool duplex : {false, true})
        for (bool values : {false, true})
            for (size_t i = 0; i < wires.size(); i++) {
                bool vast = i >= 15;                                     // a whole header that tells 2 GiB
                if (vast && !values && harness_instrumented()) continue; // a sanitizer would write to all of it
                Raw raw(duplex);
                raw.write(framed("before") + wires[i]);
                raw.close();
                EXPECT_EQ("before", receive(raw.end));
                if (values) {
                    EXPECT_EQ(SPORK_CLOSED, status_of_values(raw.end)) << i << spork_error();
                }
                EXPECT_EQ("<SPORK_CLOSED>", receive(raw.end)) << i;
                EXPECT_EQ("<SPORK_CLOSED>", receive(raw.end)) << i;
            }
}

TEST_F(Connection, TheLongHeaderMayTellAShortLength)
{
    for (bool duplex : {false, true}) {
        Raw raw(duplex);
        raw.write(long_header(5) + "short" + long_header(0) + framed("after"));
        std::string first = receive(raw.end); // Python takes it, too
        if (first == "<SPORK_BAD_MESSAGE>") continue;
        EXPECT_EQ("short", first);
        EXPECT_EQ("", receive(raw.end));
        EXPECT_EQ("after", receive(raw.end));
    }
}

TEST_F(Connection, ANegativeLengthIsNoMessageAndTheEnd)
{
    for (bool duplex : {false, true})
        for (bool values : {false, true})
            for (uint32_t length : {0xFFFFFFFEu, 0x80000000u, 0x80000005u, 0xC0000000u}) {
                Raw raw(duplex);
                raw.write(framed("before") + big_endian(length, 4) + framed("never seen") + std::string(100, '\0'));
                EXPECT_EQ("before", receive(raw.end));
                if (values) {
                    EXPECT_EQ(SPORK_BAD_MESSAGE, status_of_values(raw.end));
                } else {
                    EXPECT_EQ("<SPORK_BAD_MESSAGE>", receive(raw.end));
                }
                EXPECT_STRNE("", spork_error());
                for (int i = 0; i < 3; i++) { // at its end: it says so, and gives nothing more
                    std::string then = receive(raw.end, kWatchdogMs);
                    EXPECT_TRUE(then == "<SPORK_CLOSED>" || then == "<SPORK_BAD_MESSAGE>") << then;
                }
            }
}

TEST_F(Connection, ALengthThatNobodyCanHoldIsRefusedOrWaitedForAndThenTheEnd)
{
    for (bool duplex : {false, true})
        for (bool values : {false, true})
            for (uint64_t length :
                 {(uint64_t{1} << 40), (uint64_t{1} << 48) + 1, (uint64_t{1} << 63) - 1, uint64_t{1} << 63,
                  (uint64_t{1} << 63) + 1, UINT64_MAX - 15, UINT64_MAX - 1, UINT64_MAX}) {
                Raw raw(duplex);
                raw.write(long_header(length) + bytes_of(1000));
                spork_status status = values ? status_of_values(raw.end, 20) : SPORK_TIMEOUT;
                char room[100];
                size_t needed = 0;
                if (!values) status = spork_connection_recv_bytes(raw.end, room, sizeof room, &needed, 20);
                EXPECT_TRUE(status == SPORK_TIMEOUT || status == SPORK_BAD_MESSAGE || status == SPORK_NO_MEMORY ||
                            status == SPORK_TOO_LARGE || status == SPORK_TOO_SMALL)
                    << spork_status_name(status) << " " << length;
                EXPECT_STRNE("", spork_error());
                if (length >> 63 != 0) {
                    EXPECT_EQ(SPORK_BAD_MESSAGE, status) << length;
                }
                raw.close();
                if (!values) { // with a buffer that is too small there is nothing else to tell
                    spork_connection_recv_bytes(raw.end, room, sizeof room, &needed, kWatchdogMs);
                }
                for (int i = 0; i < 3; i++) {
                    status = status_of_values(raw.end);
                    EXPECT_TRUE(status == SPORK_CLOSED || status == SPORK_BAD_MESSAGE || status == SPORK_NO_MEMORY ||
                                status == SPORK_TOO_LARGE)
                        << spork_status_name(status) << " " << length;
                }
            }
}

TEST_F(Connection, LengthsThatNobodyCanHoldCostNoMemory)
{
    if (harness_instrumented()) GTEST_SKIP() << "a sanitizer's own memory is not the program's";
    Child child(connections_peak, SPORK_NO_ARGS);
    EXPECT_LE(child.run(), 8) << "MiB more than before";
}

TEST_F(Connection, RandomBytesLetEveryCallReturn)
{
    uint32_t state = 20240607;
    auto random = [&state](uint32_t below) {
        state = state * 1664525u + 1013904223u;
        return (state >> 8) % below;
    };
    for (int i : repeat(1000)) {
        Raw raw(i % 2 != 0);
        std::string wire;
        for (uint32_t k = random(6); k > 0; k--) {
            std::string bytes = bytes_of(random(40), state);
            switch (random(5)) {
            case 0: wire += framed(bytes); break;
            case 1: wire += big_endian(random(60), 4) + bytes; break;
            case 2: wire += long_header(random(60)) + bytes; break;
            case 3: wire += big_endian(0xFFFFFFFF, 4) + bytes; break;
            default: wire += bytes; break;
            }
        }
        raw.write(wire);
        bool open = i % 3 == 0; // then a wait must end by itself
        if (!open) raw.close();
        spork_status status = SPORK_OK;
        int calls = 0;
        for (; calls < 200 && status != SPORK_CLOSED && !(open && status == SPORK_TIMEOUT); calls++) {
            char room[64];
            switch (random(3)) {
            case 0: status = spork_connection_poll(raw.end, open ? 1 : kWatchdogMs); break;
            case 1: status = status_of_values(raw.end, open ? 1 : kWatchdogMs); break;
            default: status = spork_connection_recv_bytes(raw.end, room, random(64), nullptr, open ? 1 : kWatchdogMs);
            }
            ASSERT_TRUE(status == SPORK_OK || status == SPORK_CLOSED || status == SPORK_BAD_MESSAGE ||
                        status == SPORK_TOO_SMALL || status == SPORK_NO_MEMORY || (open && status == SPORK_TIMEOUT))
                << spork_status_name(status) << ": " << spork_error();
        }
    }
}

// ---- signals that interrupt ----

std::atomic<int> interruptions{0};

// Interrupts the thread that made it, again and again.
class Interrupter {
  public:
    Interrupter()
    {
        struct sigaction action = {};
        action.sa_handler = [](int) { interruptions++; };
        sigaction(SIGUSR1, &action, &before_);
        thread_ = std::thread([this, victim = pthread_self()] {
            while (!over_) {
                pthread_kill(victim, SIGUSR1);
                std::this_thread::sleep_for(std::chrono::microseconds(300)); // or nothing else would run
            }
        });
        harness_until([](void *) { return interruptions > 0; }, nullptr);
    }
    ~Interrupter()
    {
        over_ = true;
        thread_.join();
        sigaction(SIGUSR1, &before_, nullptr);
    }
    Interrupter(const Interrupter &) = delete;
    Interrupter &operator=(const Interrupter &) = delete;

  private:
    std::atomic<bool> over_{false};
    std::thread thread_;
    struct sigaction before_ = {};
};

TEST_F(Connection, SignalsDoNotInterruptReceiving)
{
    for (bool duplex : {false, true}) {
        Line line(duplex);
        int count = harness_count(20);
        interruptions = 0;
        Thread sender([&] {
            for (int i = 0; i < count; i++)
                EXPECT_EQ(SPORK_OK, send(line.writer, bytes_of(1u << 20, static_cast<uint32_t>(i))));
        });
        Interrupter interrupter;
        for (int i = 0; i < count; i++)
            EXPECT_TRUE(same(bytes_of(1u << 20, static_cast<uint32_t>(i)), receive(line.reader)));
        double begin = spork_time();
        EXPECT_EQ("<SPORK_TIMEOUT>", receive(line.reader, 50));
        EXPECT_EQ(SPORK_TIMEOUT, spork_connection_poll(line.reader, 50));
        double waited = spork_time() - begin;
        EXPECT_GT(waited, 0.090);
        EXPECT_GT(interruptions, 0);
    }
}

TEST_F(Connection, SignalsDoNotInterruptSending)
{
    for (bool duplex : {false, true}) {
        Line line(duplex);
        int count = harness_count(20);
        interruptions = 0;
        Thread receiver([&] {
            for (int i = 0; i < count; i++)
                EXPECT_TRUE(same(bytes_of(1u << 20, static_cast<uint32_t>(i)), receive(line.reader)));
        });
        Interrupter interrupter;
        for (int i = 0; i < count; i++)
            EXPECT_EQ(SPORK_OK, send(line.writer, bytes_of(1u << 20, static_cast<uint32_t>(i)))) << spork_error();
        receiver.join();
        spork_status last;
        fill(line.writer, 4000, &last, 0);
        double begin = spork_time();
        EXPECT_EQ(SPORK_TIMEOUT, send(line.writer, bytes_of(4000), 50));
        double waited = spork_time() - begin;
        EXPECT_GT(waited, 0.040);
        EXPECT_GT(interruptions, 0);
    }
}

// ---- Python ----

constexpr const char *kPython = "import sys\n"
                                "from multiprocessing.connection import Connection\n"
                                "r, w = int(sys.argv[1]), int(sys.argv[2])\n"
                                "reader = Connection(r, writable=r == w)\n"
                                "writer = reader if r == w else Connection(w, readable=False)\n"
                                "writer.send_bytes(b'python')\n"
                                "try:\n"
                                "    while True: writer.send_bytes(reader.recv_bytes())\n"
                                "except EOFError: pass\n"
                                "writer.send_bytes(b'the end') if r != w else None\n";

bool has_python()
{
    const char *arguments[] = {"python3", "-c", "import multiprocessing.connection", nullptr};
    harness_program *program = harness_run_program(arguments);
    int code = harness_wait(program);
    harness_free(program);
    return code == 0;
}

// Starts Python with those descriptors, which are its own from now on.
harness_program *run_python(int reader, int writer)
{
    std::string r = std::to_string(reader), w = std::to_string(writer);
    const char *arguments[] = {"python3", "-c", kPython, r.c_str(), w.c_str(), nullptr};
    for (int fd : {reader, writer}) fcntl(fd, F_SETFD, 0);
    harness_program *program = harness_run_program(arguments);
    close(reader);
    if (writer != reader) close(writer);
    return program;
}

void talk_with_python(spork_connection *out, spork_connection *in)
{
    EXPECT_EQ("python", receive(in));
    std::vector<size_t> all = {0, 1, 16384, 65536, 5u << 20};
    if (native()) all.push_back(64u << 20);
    for (size_t size : all) {
        std::string bytes = bytes_of(size);
        ASSERT_EQ(SPORK_OK, send(out, bytes)) << spork_error();
        ASSERT_TRUE(same(bytes, receive(in)));
    }
    std::string text(70000, 't'); // values are bytes to it
    ASSERT_EQ(SPORK_OK, spork_connection_send(out, spork_pack(42, text.c_str()), kWatchdogMs));
    Message message = receive_values(in);
    int number = 0;
    const char *got = nullptr;
    ASSERT_EQ(SPORK_OK, spork_unpack(message.get(), &number, &got)) << spork_error();
    EXPECT_EQ(42, number);
    EXPECT_TRUE(same(text, got));
}

TEST_F(Connection, PythonHoldsTheOtherEndOfADuplex)
{
    SHOWN_UNDER_FORK;
    if (!has_python()) GTEST_SKIP() << "there is no python3 with multiprocessing";
    Raw raw(kDuplex);
    int fd = std::exchange(raw.fd, -1);
    harness_program *python = run_python(fd, fd);
    ASSERT_NE(nullptr, python);
    talk_with_python(raw.end, raw.end);
    raw.end.close();
    EXPECT_EQ(0, harness_wait(python));
    harness_free(python);
}

TEST_F(Connection, PythonHoldsTheOtherEndsOfTwoPipes)
{
    SHOWN_UNDER_FORK;
    if (!has_python()) GTEST_SKIP() << "there is no python3 with multiprocessing";
    Raw out(false, true), in(false);
    int reader = std::exchange(out.fd, -1), writer = std::exchange(in.fd, -1);
    harness_program *python = run_python(reader, writer);
    ASSERT_NE(nullptr, python);
    talk_with_python(out.end, in.end);
    out.end.close();
    EXPECT_EQ("the end", receive(in.end));
    EXPECT_EQ("<SPORK_CLOSED>", receive(in.end));
    EXPECT_EQ(0, harness_wait(python));
    harness_free(python);
}

#endif

// ---- many ----

TEST_F(Connection, MadeAndFreedOftenLeavesNothing)
{
    for (int i : repeat(2000)) {
        Line line(i % 2 != 0);
        ASSERT_EQ(SPORK_OK, send(line.writer, "unread"));
        if (i % 3 == 0) line.reader.close();
        if (i % 5 == 0) {
            EXPECT_EQ(i % 3 == 0 ? SPORK_CLOSED : SPORK_OK, send(line.writer, "x"));
        }
    }
}

} // namespace
