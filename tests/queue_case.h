// What the tests of queues share: a queue that ends with its scope, messages of bytes, and another process that has the queue and does
// what it is told.
#ifndef TESTS_QUEUE_CASE_H
#define TESTS_QUEUE_CASE_H

#include <gtest/gtest.h>

#include <csignal>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "books.h"
#include "child.h"
#include "harness/queues.h"
#include "queue.h"

inline constexpr size_t kKiB = 1024, kMiB = 1024 * 1024;
inline constexpr int kBoth = SPORK_PUT | SPORK_GET;

inline bool native() { return !harness_instrumented() && !harness_wine(); }

// A queue that is freed at the end of its scope, unless it was moved away.
class Held {
  public:
    explicit Held(size_t max_messages = 0, size_t capacity = 0) : queue_(spork_queue_new(max_messages, capacity))
    {
        EXPECT_NE(nullptr, queue_) << spork_error();
    }
    explicit Held(const spork_queue_options &options) : queue_(spork_queue_new_with(&options))
    {
        EXPECT_NE(nullptr, queue_) << spork_error();
    }
    Held(Held &&other) noexcept : queue_(other.release()) {}
    Held(const Held &) = delete;
    Held &operator=(const Held &) = delete;
    ~Held() { close(); }
    operator spork_queue *() const { return queue_; } // NOLINT: it stands for the queue
    spork_queue *get() const { return queue_; }
    spork_queue *release() { return std::exchange(queue_, nullptr); }
    void close() { spork_queue_free(release()); }

  private:
    spork_queue *queue_;
};

inline spork_queue_options without_copies(size_t capacity = 0)
{
    spork_queue_options options = {};
    options.capacity = capacity;
    options.single_producer = options.single_consumer = true;
    return options;
}

inline std::string bytes_of(size_t size, uint32_t seed = 1)
{
    std::string bytes(size, '\0');
    queues_fill(bytes.data(), size, seed);
    return bytes;
}

// Not EXPECT_EQ: it would print both.
inline testing::AssertionResult same(const std::string &expected, const std::string &got)
{
    if (expected == got) return testing::AssertionSuccess();
    return testing::AssertionFailure() << got.size() << " bytes instead of " << expected.size() << ", beginning with "
                                       << got.substr(0, 40);
}

inline std::string name(spork_status status) { return spork_status_name(status); }

inline spork_status put(spork_queue *queue, const std::string &bytes, int timeout_ms = kWatchdogMs)
{
    return spork_queue_put_bytes(queue, bytes.data(), bytes.size(), timeout_ms);
}

// The next message of bytes, or the status in angle brackets.
inline std::string get(spork_queue *queue, int timeout_ms = kWatchdogMs)
{
    void *data = nullptr;
    size_t size = 0;
    spork_status status = queues_receive(queue, &data, &size, timeout_ms);
    if (status != SPORK_OK) return "<" + name(status) + ">";
    std::string bytes(static_cast<const char *>(data), size);
    free(data);
    return bytes;
}
inline const std::string kTimeout = "<SPORK_TIMEOUT>", kClosed = "<SPORK_CLOSED>", kInvalid = "<SPORK_INVALID>";

struct FreeArgs {
    void operator()(spork_args *args) const { spork_args_free(args); }
};
using Message = std::unique_ptr<spork_args, FreeArgs>;

// The next message of values. NULL and the status unless there is one.
inline Message get_values(spork_queue *queue, spork_status expected = SPORK_OK, int timeout_ms = kWatchdogMs)
{
    int dummy = 0;
    void *garbage = &dummy;
    auto *message = static_cast<spork_args *>(garbage);
    spork_status status = spork_queue_get(queue, &message, timeout_ms);
    EXPECT_EQ(expected, status) << spork_error();
    if (status == SPORK_OK) return Message(message);
    EXPECT_EQ(nullptr, message);
    return nullptr;
}

inline int get_number(spork_queue *queue)
{
    int number = -1;
    Message message = get_values(queue);
    if (message != nullptr) {
        EXPECT_EQ(SPORK_OK, spork_unpack(message.get(), &number)) << spork_error();
    }
    return number;
}

// How many messages of that size fit until it is full.
inline size_t fill(spork_queue *queue, size_t size)
{
    size_t count = 0;
    spork_status status;
    while ((status = put(queue, bytes_of(size, static_cast<uint32_t>(count)), 0)) == SPORK_OK) count++;
    EXPECT_EQ(SPORK_TIMEOUT, status) << spork_error();
    return count;
}

inline double ms_of(const std::function<void()> &what)
{
    double begin = spork_time();
    what();
    return (spork_time() - begin) * 1000;
}

// ---- another process ----

// Waits until somebody sleeps there, for something to get, for room, or (role 0) until all is done. Of several who do, one may be enough.
inline void expect_sleeper(spork_queue *queue, int role)
{
    struct Place {
        spork_queue *queue;
        int role;
    } place = {queue, role};
    EXPECT_TRUE(harness_until(
        [](void *user) {
            auto *there = static_cast<Place *>(user);
            return spork__queue_awaited(there->queue, there->role);
        },
        &place))
        << "nobody waits";
}

// Another process that has the queue and does what it is told.
class Actor {
  public:
    explicit Actor(spork_item queue)
        : queue_(static_cast<spork_queue *>(const_cast<void *>(queue.as.p))),
          child_(queues_act, spork_pack(queue, harness_give(to_.reader), harness_give(from_.writer)))
    {
        EXPECT_EQ(SPORK_OK, child_.start()) << spork_error();
        to_.close_reader();
        from_.close_writer();
    }
    explicit Actor(spork_queue *queue) : Actor(spork__as_queue(queue)) {}
    // Says what to do, and does not wait for it.
    void begin(const std::string &command)
    {
        std::string line = command + "\n";
        EXPECT_TRUE(harness_write(to_.writer, line.data(), line.size()));
    }
    // What it said to the oldest command without an answer: the status, numbers. The sentence goes to `sentence`.
    std::string answer()
    {
        std::string line;
        for (char byte; harness_read(from_.reader, &byte, 1) == 1 && byte != '\n';) line += byte;
        size_t bar = line.find('|');
        sentence = bar == std::string::npos ? "" : line.substr(bar + 1);
        return line.substr(0, bar);
    }
    std::string does(const std::string &command)
    {
        begin(command);
        return answer();
    }
    // Says what to do, that will wait, and returns when somebody does.
    void waits(const std::string &command)
    {
        begin(command);
        expect_sleeper(queue_, command[0] == 'p' && command[1] == 'u' ? SPORK_PUT : command[0] == 'j' ? 0 : SPORK_GET);
    }
    int end()
    {
        to_.close_writer();
        return child_.join();
    }
    void kill()
    {
        EXPECT_EQ(SPORK_OK, spork_process_kill(child_.get())) << spork_error();
        child_.join();
    }
    int join() { return child_.join(); }
    int pid() const { return spork_process_pid(child_.get()); }
    std::string sentence;

  private:
    spork_queue *queue_; // ours
    Pipe to_, from_;
    Child child_;
};

// What an actor says when it got that message.
inline std::string got(size_t size, uint32_t seed)
{
    std::string bytes = bytes_of(size, seed);
    return "SPORK_OK " + std::to_string(size) + " " + std::to_string(queues_sum(bytes.data(), size));
}

class Queue : public Books {
  protected:
    void SetUp() override
    {
#ifndef _WIN32
        signal(SIGPIPE, SIG_IGN); // a failing test says so
#endif
        static bool warm = false; // the first child and the first queue let Spork open what it keeps
        if (!warm) {
            Held queue;
            Actor actor(queue);
            ASSERT_EQ("SPORK_OK", actor.does("put 10 1"));
            ASSERT_EQ(bytes_of(10), get(queue));
            ASSERT_EQ(0, actor.end());
            std::thread([] { spork_queue_close(nullptr); }).join();
            warm = true;
        }
        open_books();
    }
};

#endif
