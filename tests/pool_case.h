// What the tests of pools have in common: a board, pools and futures that end with their scope, callbacks that came, and fixtures for pools of
// processes and of threads.
#ifndef TESTS_POOL_CASE_H
#define TESTS_POOL_CASE_H

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "books.h"
#include "child.h"
#include "harness/pools.h"

constexpr size_t kKiB = 1024, kMiB = 1024 * 1024;

inline bool native() { return !harness_instrumented() && !harness_wine(); }

inline testing::AssertionResult says(const std::string &part, const std::string &sentence = spork_error())
{
    if (sentence.find(part) != std::string::npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "\"" << sentence.substr(0, 400) << "\" does not say \"" << part << "\"";
}

// Not EXPECT_EQ: it would print both.
inline testing::AssertionResult same(const std::string &expected, const std::string &got)
{
    if (expected == got) return testing::AssertionSuccess();
    return testing::AssertionFailure() << got.size() << " bytes instead of " << expected.size() << ", or others";
}

inline std::string bytes_of(size_t size, unsigned seed)
{
    std::string bytes(size, '\0');
    pools_fill(bytes.data(), size, seed);
    return bytes;
}

inline void in_a_thread(const std::function<void()> &what) { std::thread(what).join(); }

// Lets who was told to wait get there, where nothing tells that he has; no result depends on it.
inline void linger() { spork_sleep(30); }

// ---- what a test has: a board, pools, futures ----

// Numbers that the test and its workers share.
class Board {
  public:
    Board() : shm_(spork_shm_new(pools_board_size())), board_(pools_board_of(shm_)) { EXPECT_NE(nullptr, board_); }
    ~Board()
    {
        pools_forget();
        spork_shm_free(shm_);
    }
    Board(const Board &) = delete;
    Board &operator=(const Board &) = delete;
    operator pools_board *() const { return board_; } // NOLINT: it stands for the board
    spork_shm *shm() const { return shm_; }
    long get(int place) const { return pools_get(board_, place); }
    void set(int place, long value) const { pools_set(board_, place, value); }
    // Lets all go on that wait at that gate; without one, at all gates and for good.
    void open(int gate = POOLS_OPEN) const { set(gate, 1); }
    // False, and the test fails, if it does not come to that.
    bool reaches(int place, long at_least) const
    {
        bool there = pools_until(board_, place, at_least);
        EXPECT_TRUE(there) << "place " << place << " is " << get(place) << ", not " << at_least;
        return there;
    }
    // The process that a task was last seen in, at that worker's place.
    int pid(unsigned worker = 0) const { return static_cast<int>(get(POOLS_PIDS + static_cast<int>(worker))); }

  private:
    spork_shm *shm_;
    pools_board *board_;
};

inline spork_pool_options options_of(unsigned workers, bool threads)
{
    spork_pool_options o = {};
    o.workers = workers;
    o.threads = threads;
    return o;
}

// Its workers know the board.
inline spork_pool_options options_of(unsigned workers, bool threads, const Board &board)
{
    spork_pool_options o = options_of(workers, threads);
    o.initializer = pools_init;
    o.initargs = spork_pack(board.shm());
    return o;
}

// A pool that has ended, with all that it runs, at the end of its scope.
class Pool {
  public:
    explicit Pool(const spork_pool_options &options, const Board *board = nullptr)
        : pool_(spork_pool_new_with(&options)), board_(board)
    {
        EXPECT_NE(nullptr, pool_) << spork_error();
    }
    Pool(unsigned workers, bool threads) : Pool(options_of(workers, threads)) {}
    Pool(unsigned workers, bool threads, const Board &board) : Pool(options_of(workers, threads, board), &board) {}
    Pool(const spork_pool_options &options, const Board &board) : Pool(options, &board) {}
    ~Pool() { end(); }
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;
    operator spork_pool *() const { return pool_; } // NOLINT: it stands for the pool
    spork_pool *get() const { return pool_; }
    spork_pool *release() { return std::exchange(pool_, nullptr); }
    void free() { spork_pool_free(release()); }
    void end()
    {
        if (pool_ == nullptr) return;
        if (board_ != nullptr) board_->open();
        spork_pool_terminate(pool_);
        EXPECT_NE(SPORK_TIMEOUT, spork_pool_join(pool_, kWatchdogMs)) << "it does not end";
        free();
    }

  private:
    spork_pool *pool_;
    const Board *board_;
};

class Future {
  public:
    explicit Future(spork_future *future = nullptr) : future_(future) {}
    Future(Future &&other) noexcept : future_(other.release()) {}
    Future &operator=(Future &&other) noexcept
    {
        std::swap(future_, other.future_);
        return *this;
    }
    Future(const Future &) = delete;
    Future &operator=(const Future &) = delete;
    ~Future() { spork_future_free(future_); }
    operator spork_future *() const { return future_; } // NOLINT: it stands for the future
    spork_future *get() const { return future_; }
    spork_future *release() { return std::exchange(future_, nullptr); }
    void free() { spork_future_free(release()); }

  private:
    spork_future *future_;
};

// Gives a task, which has to succeed.
inline Future give(spork_pool *pool, spork_task_fn fn, const spork_args &args = SPORK_NO_ARGS,
                   const spork_task_options *options = nullptr)
{
    spork_future *future = nullptr;
    EXPECT_EQ(SPORK_OK, spork_pool_apply_async(pool, fn, args, options, &future)) << spork_error();
    EXPECT_NE(nullptr, future);
    return Future(future);
}
inline Future give_held(spork_pool *pool, int how = POOLS_STUBBORN, int gate = POOLS_GATE)
{
    return give(pool, pools_hold, spork_pack(how, gate));
}

// Gives a task without a future.
inline void give_away(spork_pool *pool, spork_task_fn fn, const spork_args &args = SPORK_NO_ARGS,
                      const spork_task_options *options = nullptr)
{
    EXPECT_EQ(SPORK_OK, spork_pool_apply_async(pool, fn, args, options, nullptr)) << spork_error();
}

// What is not to be given.
inline void expect_refused(spork_status expected, spork_pool *pool, spork_task_fn fn,
                           const spork_args &args = SPORK_NO_ARGS, const spork_task_options *options = nullptr)
{
    int dummy = 0;
    void *garbage = &dummy;
    auto *future = static_cast<spork_future *>(garbage);
    EXPECT_EQ(expected, spork_pool_apply_async(pool, fn, args, options, &future)) << spork_error();
    EXPECT_EQ(nullptr, future);
    EXPECT_STRNE("", spork_error());
}

// How it ends.
inline spork_status how(const spork_future *future)
{
    EXPECT_EQ(SPORK_OK, spork_future_wait(future, kWatchdogMs)) << "it does not end";
    return spork_future_status(future);
}
inline std::string why(const spork_future *future) { return spork_future_error(future); }

// What it returns.
template <class T> T value_of(const spork_future *future, T otherwise = T(-999))
{
    EXPECT_EQ(SPORK_OK, spork_future_get(future, kWatchdogMs, &otherwise)) << spork_error();
    return otherwise;
}
inline std::string bytes_from(const spork_future *future)
{
    spork_bytes bytes = {};
    EXPECT_EQ(SPORK_OK, spork_future_get(future, kWatchdogMs, &bytes)) << spork_error();
    return std::string(static_cast<const char *>(bytes.data), bytes.size);
}
inline pools_place place_of(const spork_future *future)
{
    pools_place place = {};
    EXPECT_EQ(SPORK_OK, spork_future_get(future, kWatchdogMs, spork_struct_into(&place))) << spork_error();
    return place;
}
inline int square(spork_pool *pool, int n) { return value_of<int>(give(pool, pools_square, spork_pack(n))); }

inline spork_death death_of(const spork_future *future)
{
    spork_death death = {};
    EXPECT_EQ(SPORK_OK, spork_future_death(future, &death)) << spork_error();
    EXPECT_STREQ(spork_future_error(future), death.text);
    return death;
}

inline spork_pool_counters count(spork_pool *pool)
{
    spork_pool_counters counters = {};
    EXPECT_EQ(SPORK_OK, spork_pool_count(pool, &counters)) << spork_error();
    return counters;
}
// What was given has ended or not; true at any moment when nobody gives.
inline void expect_balance(spork_pool *pool, uint64_t submitted)
{
    spork_pool_counters counters = count(pool);
    EXPECT_EQ(submitted, counters.submitted);
    EXPECT_EQ(submitted, counters.completed + counters.failed + counters.pending);
}
inline void until_workers(spork_pool *pool, uint64_t workers)
{
    until([=] { return count(pool).workers == workers; }, "so many workers are not there");
}

inline void until_replaced(spork_pool *pool, uint64_t many)
{
    until([=] { return count(pool).replaced >= many; }, "they are not replaced");
    EXPECT_EQ(many, count(pool).replaced);
}

// The places of all workers at once, in which they meet.
inline std::set<unsigned> meet(spork_pool *pool, const Board &board, int workers)
{
    std::vector<Future> futures;
    std::set<unsigned> places;
    board.set(POOLS_INSIDE, 0);
    for (int i = 0; i < workers; i++) futures.push_back(give(pool, pools_meet, spork_pack(workers)));
    for (const Future &future : futures) places.insert(value_of<unsigned>(future));
    return places;
}
inline std::set<unsigned> all_places(unsigned workers)
{
    std::set<unsigned> places;
    for (unsigned i = 0; i < workers; i++) places.insert(i);
    return places;
}

inline void until_gone(int pid)
{
    until([=] { return !harness_pid_exists(pid); }, "the process is still there");
}

inline spork_task_options with_retries(unsigned retries)
{
    spork_task_options o = {};
    o.retries = retries;
    return o;
}
inline spork_task_options within(int timeout_ms)
{
    spork_task_options o = {};
    o.timeout_ms = timeout_ms;
    return o;
}

// Callbacks that came.
class Calls {
  public:
    struct Call {
        spork_status status;
        int value; // of pools_square and its kin
        std::string error;
        std::thread::id thread;
    };
    spork_task_options options()
    {
        spork_task_options o = {};
        o.done = note;
        o.user = this;
        return o;
    }
    size_t count() const
    {
        std::lock_guard<std::mutex> lock(lock_);
        return calls_.size();
    }
    std::vector<Call> all() const
    {
        std::lock_guard<std::mutex> lock(lock_);
        return calls_;
    }
    void wait_for(size_t many) const
    {
        until([&] { return count() >= many; }, "so many callbacks do not come");
    }

  private:
    static void note(const spork_future *future, void *user)
    {
        auto *self = static_cast<Calls *>(user);
        Call call = {spork_future_status(future), -1, spork_future_error(future), std::this_thread::get_id()};
        if (call.status == SPORK_OK) spork_future_get(future, 0, &call.value);
        std::lock_guard<std::mutex> lock(self->lock_);
        self->calls_.push_back(call);
    }
    mutable std::mutex lock_;
    std::vector<Call> calls_;
};

// A callback that does something, once.
class Act {
  public:
    explicit Act(std::function<void(const spork_future *)> what) : what_(std::move(what)) {}
    spork_task_options options()
    {
        spork_task_options o = {};
        o.done = run;
        o.user = this;
        return o;
    }
    void wait() const
    {
        until([&] { return done_ > 0; }, "the callback does not return");
        EXPECT_EQ(1, done_);
    }

  private:
    static void run(const spork_future *future, void *user)
    {
        auto *self = static_cast<Act *>(user);
        self->what_(future);
        self->done_++;
    }
    std::function<void(const spork_future *)> what_;
    std::atomic<int> done_{0};
};

// By SIGTERM, that is; only where all is slow it may take longer than the 100 ms after which it is killed.
inline void expect_terminated(const spork_death &death)
{
    EXPECT_TRUE(death.exitcode == -15 || (!native() && death.exitcode == -9)) << death.exitcode;
}

// ---- imap ----

// A source of numbers.
struct Numbers {
    int end = INT_MAX;
    spork_status at_end = SPORK_CLOSED;
    int drawn = 0;
    int asked_after_end = 0;
    std::set<std::thread::id> on;
    std::function<spork_args(int)> pack = [](int n) { return spork_pack(n % 1000); };

    static spork_status next(void *user, spork_args *next)
    {
        auto *self = static_cast<Numbers *>(user);
        self->on.insert(std::this_thread::get_id());
        if (self->drawn == self->end) {
            self->asked_after_end++;
            return self->at_end;
        }
        *next = self->pack(self->drawn++);
        return SPORK_OK;
    }
};

class Imap {
  public:
    Imap(spork_pool *pool, spork_task_fn fn, Numbers *source, size_t window, bool ordered)
        : imap_(spork_pool_imap(pool, fn, Numbers::next, source, window, ordered))
    {
        EXPECT_NE(nullptr, imap_) << spork_error();
    }
    ~Imap() { spork_imap_free(imap_); }
    Imap(const Imap &) = delete;
    Imap &operator=(const Imap &) = delete;
    operator spork_imap *() const { return imap_; } // NOLINT: it stands for the imap
    void free() { spork_imap_free(std::exchange(imap_, nullptr)); }
    spork_status next(int timeout_ms = kWatchdogMs)
    {
        result = nullptr;
        return spork_imap_next(imap_, &result, timeout_ms);
    }
    const spork_future *result = nullptr;

  private:
    spork_imap *imap_;
};

// ---- fixtures ----

// One pool of its kind lets Spork open what it keeps.
inline void warm_up(bool threads)
{
    static bool warm[2];
    if (std::exchange(warm[threads ? 1 : 0], true)) return;
    Board board;
    Pool pool(1, threads, board);
    EXPECT_EQ(9, square(pool, 3));
    EXPECT_EQ(SPORK_FAILED, how(give(pool, pools_square, spork_pack(-1))));
    spork_event *event = spork_event_new();
    spork_queue *queue = spork_queue_new(0, 0);
    spork_wait_item items[] = {spork_on(event), spork_on(queue)};
    EXPECT_EQ(SPORK_TIMEOUT, spork_wait(items, 2, 1));
    spork_queue_free(queue);
    spork_event_free(event);
    in_a_thread([] { spork_pool_close(nullptr); });
}

class Both : public Books, public testing::WithParamInterface<bool> {
  protected:
    void SetUp() override
    {
        const char *method = getenv("SPORK_START_METHOD");
        if (threads() && !windows() && method != nullptr && strcmp(method, "fork") != 0)
            GTEST_SKIP() << "skipped: threads are not started by " << method;
        warm_up(threads());
        open_books();
    }
    static bool threads() { return GetParam(); }
    static bool processes() { return !GetParam(); }
};
inline std::string kind_of(const testing::TestParamInfo<bool> &one) { return one.param ? "Threads" : "Processes"; }
#define FOR_BOTH(suite) INSTANTIATE_TEST_SUITE_P(Of, suite, testing::Bool(), kind_of)

class Processes : public Books {
  protected:
    void SetUp() override
    {
        warm_up(false);
        open_books();
    }
};

#endif
