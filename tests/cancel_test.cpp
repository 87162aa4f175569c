// Threads that are cancelled (pthread_cancel) inside the library's calls: it ends who waits for
// others, and nothing else; what the cancelled one had in hands is given back, and nobody else
// notices. And threads of Spork that end without returning.
#include "harness/cancels.h"

#include <atomic>
#include <map>
#include <mutex>
#include <random>

#include "queue_case.h"
#include "sync.h"

namespace {

// A thread that makes that call.
class Caller {
  public:
    explicit Caller(std::function<int()> call) : call_(std::move(call))
    {
        thread_ =
            cancels_begin([](void *user) { return static_cast<Caller *>(user)->call_(); }, this);
    }
    ~Caller()
    {
        if (thread_ == nullptr) return;
        cancel();
        ended_by_itself();
    }
    Caller(const Caller &) = delete;
    Caller &operator=(const Caller &) = delete;
    void cancel() { cancels_cancel(thread_); }
    bool ended_by_itself() { return cancels_join(std::exchange(thread_, nullptr), &result); }
    int result = -1;

  private:
    std::function<int()> call_;
    cancels_thread *thread_;
};

class Cancellation : public testing::Test {
  protected:
    void SetUp() override
    {
        if (!cancels_there_are()) GTEST_SKIP() << "threads are not cancelled on this system";
    }
    // `asleep` returns when the call is, or is about to be: what is cancelled before it sleeps ends
    // there, too.
    static void expect_ended(
        const std::function<int()> &call, const std::function<void()> &asleep = [] {})
    {
        std::atomic<bool> begun{false};
        Caller caller([&] {
            begun = true;
            return call();
        });
        until([&] { return begun.load(); }, "the thread does not begin");
        asleep();
        caller.cancel();
        EXPECT_FALSE(caller.ended_by_itself())
            << spork_status_name(static_cast<spork_status>(caller.result));
    }
    // The same in a thread that has its cancellation off: it goes on, and returns what the call
    // does when it gets what it waits for.
    static int not_ended(const std::function<int()> &call, const std::function<void()> &asleep,
                         const std::function<void()> &give)
    {
        Caller caller([&] {
            cancels_disable();
            return call();
        });
        asleep();
        caller.cancel();
        give();
        EXPECT_TRUE(caller.ended_by_itself());
        return caller.result;
    }
};

int ok(spork_status status)
{
    EXPECT_EQ(SPORK_OK, status) << spork_error();
    return status;
}

struct Ends {
    spork_connection *reader = nullptr, *writer = nullptr;
    Ends() { ok(spork_pipe(&reader, &writer)); }
    ~Ends()
    {
        spork_connection_free(reader);
        spork_connection_free(writer);
    }
    Ends(const Ends &) = delete;
    Ends &operator=(const Ends &) = delete;
    // A message arrives there whole, whatever was begun before.
    void expect_works() const
    {
        char buffer[8];
        size_t size = 0;
        ok(spork_connection_send_bytes(writer, "whole", 5, kWatchdogMs));
        ok(spork_connection_recv_bytes(reader, buffer, sizeof buffer, &size, kWatchdogMs));
        EXPECT_EQ("whole", std::string(buffer, size));
    }
};

// ---- queues ----

// As get, but what it holds is given back when it is cancelled.
std::string receive(spork_queue *queue)
{
    std::string bytes(64 * kKiB, '\0');
    size_t size = 0;
    spork_status status =
        spork_queue_get_bytes(queue, &bytes[0], bytes.size(), &size, SPORK_FOREVER);
    return status == SPORK_OK ? bytes.substr(0, size) : "<" + name(status) + ">";
}

TEST_F(Cancellation, DoesNotActWhereOneOnlyLooks)
{
    Held queue;
    Ends ends;
    Child child(target_sleep, spork_pack(1));
    ok(child.start());
    Caller caller([&] {
        char byte;
        cancels_cancel_self();
        int looks = 0;
        looks += spork_queue_get_bytes(queue, &byte, 1, nullptr, 0) == SPORK_TIMEOUT;
        looks += spork_connection_recv_bytes(ends.reader, &byte, 1, nullptr, 0) == SPORK_TIMEOUT;
        looks += spork_connection_poll(ends.reader, 0) == SPORK_TIMEOUT;
        looks += spork_process_join(child.get(), 0) == SPORK_TIMEOUT;
        spork_sleep(0);
        return looks;
    });
    EXPECT_TRUE(caller.ended_by_itself());
    EXPECT_EQ(4, caller.result);
}

TEST_F(Cancellation, EndsWhoWaitsForAMessage)
{
    Held queue;
    auto asleep = [&] { expect_sleeper(queue, SPORK_GET); };
    expect_ended([&] { return static_cast<int>(receive(queue).size()); }, asleep);
    expect_ended([&] { return get_values(queue, SPORK_OK, SPORK_FOREVER) != nullptr; }, asleep);
    ok(put(queue, "still there"));
    EXPECT_EQ("still there", get(queue, 0));
}

TEST_F(Cancellation, OfAGetterLeavesTheMessageToTheOther)
{
    Held queue;
    for (int round : repeat(200)) {
        Caller first([&] { return receive(queue) == "it" ? 1 : 0; });
        Caller second([&] { return receive(queue) == "it" ? 1 : 0; });
        Caller putter([&] { return put(queue, "it"); });
        first.cancel();
        bool got = first.ended_by_itself();
        if (got) ok(put(queue, "it"));
        ASSERT_TRUE(second.ended_by_itself()) << "round " << round;
        EXPECT_EQ(1, second.result);
        EXPECT_TRUE(putter.ended_by_itself());
    }
}

TEST_F(Cancellation, EndsWhoWaitsForRoom)
{
    Held queue(1);
    ok(put(queue, "the only one"));
    auto asleep = [&] { expect_sleeper(queue, SPORK_PUT); };
    expect_ended([&] { return put(queue, "too many", SPORK_FOREVER); }, asleep);
    expect_ended([&] { return spork_queue_put(queue, spork_pack("too many"), SPORK_FOREVER); },
                 asleep);
    EXPECT_EQ("the only one", get(queue, 0));
    EXPECT_EQ(kTimeout, get(queue, 0));
}

// Who has waited long has the next turn, and the others wait for it.
TEST_F(Cancellation, OfWhoIsNextToPutGivesItsTurnUp)
{
    Held queue(1);
    ok(put(queue, "the only one"));
    auto leased = [](void *user) { return spork__queue_leased(static_cast<spork_queue *>(user)); };
    expect_ended([&] { return put(queue, "too many", SPORK_FOREVER); },
                 [&] { EXPECT_TRUE(harness_until(leased, queue.get())); });
    EXPECT_FALSE(spork__queue_leased(queue));
}

TEST_F(Cancellation, EndsWhoWaitsForRoomForALargeMessage)
{
    Held queue(0, 8 * kMiB);
    size_t count = fill(queue, kMiB);
    std::string large = bytes_of(kMiB, 99);
    for (int i = 0; i < 3; i++)
        expect_ended([&] { return put(queue, large, SPORK_FOREVER); },
                     [&] { expect_sleeper(queue, SPORK_PUT); });
    for (size_t i = 0; i < count; i++) EXPECT_EQ(kMiB, get(queue, 0).size());
    EXPECT_EQ(count, fill(queue, kMiB)) << "an extent is gone";
}

TEST_F(Cancellation, EndsWhoWaitsUntilAllIsDone)
{
    Held queue;
    ok(put(queue, "a task"));
    expect_ended([&] { return spork_queue_join(queue, SPORK_FOREVER); },
                 [&] { expect_sleeper(queue, 0); });
    EXPECT_EQ("a task", get(queue, 0));
    ok(spork_queue_task_done(queue));
    ok(spork_queue_join(queue, kWatchdogMs));
}

TEST_F(Cancellation, EndsWhoWaitsToPeekOrToReserve)
{
    Held queue(without_copies(64 * kKiB));
    spork_bytes message;
    void *room = nullptr;
    expect_ended([&] { return spork_queue_peek(queue, &message, SPORK_FOREVER); },
                 [&] { expect_sleeper(queue, SPORK_GET); });
    fill(queue, 1000);
    expect_ended([&] { return spork_queue_reserve(queue, 1000, &room, SPORK_FOREVER); },
                 [&] { expect_sleeper(queue, SPORK_PUT); });
    EXPECT_EQ(bytes_of(1000, 0), get(queue, 0));
}

TEST_F(Cancellation, ThatIsOffDoesNothing)
{
    Held queue;
    EXPECT_EQ(1, not_ended([&] { return receive(queue) == "come" ? 1 : 0; },
                           [&] { expect_sleeper(queue, SPORK_GET); },
                           [&] { ok(put(queue, "come")); }));
}

// ---- connections, processes, threads ----

TEST_F(Cancellation, EndsWhoReceives)
{
    Ends ends;
    spork_args *values = nullptr;
    char buffer[64];
    expect_ended([&] {
        return spork_connection_recv_bytes(ends.reader, buffer, 64, nullptr, SPORK_FOREVER);
    });
    ends.expect_works();
    expect_ended([&] { return spork_connection_recv(ends.reader, &values, SPORK_FOREVER); });
    ends.expect_works();
    expect_ended([&] { return spork_connection_poll(ends.reader, SPORK_FOREVER); });
    ends.expect_works();
}

// The rest of it comes after the buffer is gone that was to have it.
TEST_F(Cancellation, InTheMiddleOfAMessageLeavesItToTheNext)
{
    Ends ends;
    const std::string large = bytes_of(4 * kMiB); // more than a pipe holds
    auto cancelled_in_the_middle = [&] {
        std::string buffer(large.size(), '\0');
        std::atomic<bool> begun{false};
        Caller receiver([&] {
            begun = true;
            return spork_connection_recv_bytes(ends.reader, &buffer[0], buffer.size(), nullptr,
                                               SPORK_FOREVER);
        });
        until([&] { return begun.load(); }, "the thread does not begin");
        receiver.cancel();
        return !receiver.ended_by_itself();
    };
    int in_the_middle = 0;
    for (int round : repeat(50)) {
        std::atomic<bool> sent{false};
        std::string got(large.size(), '\0');
        size_t size = 0;
        Thread sender([&] {
            ok(spork_connection_send_bytes(ends.writer, large.data(), large.size(), kWatchdogMs));
            sent = true;
        });
        if (!cancelled_in_the_middle()) continue; /* it had it all before it was cancelled */
        ok(spork_connection_recv_bytes(ends.reader, &got[0], got.size(), &size, kWatchdogMs));
        ASSERT_TRUE(same(large, got)) << "round " << round;
        sender.join();
        EXPECT_TRUE(sent);
        in_the_middle++;
    }
    EXPECT_GT(in_the_middle, 0);
}

TEST_F(Cancellation, EndsWhoJoinsAProcess)
{
    Child child(target_sleep, SPORK_NO_ARGS);
    ok(child.start());
    expect_ended([&] { return spork_process_join(child.get(), SPORK_FOREVER); });
    EXPECT_TRUE(spork_process_is_alive(child.get()));
    ok(spork_process_kill(child.get()));
    EXPECT_EQ(-9, child.join());
}

TEST_F(Cancellation, EndsWhoJoinsAThreadOrSleeps)
{
    Held queue;
    spork_thread *thread = spork_thread_new(queues_get_one, spork_pack(queue.get(), 0, 0));
    ok(spork_thread_start(thread));
    expect_ended([&] { return spork_thread_join(thread, SPORK_FOREVER); });
    expect_ended([] {
        spork_sleep(SPORK_FOREVER);
        return 0;
    });
    ok(put(queue, "go"));
    ok(spork_thread_join(thread, kWatchdogMs));
    spork_thread_free(thread);
}

// ---- locks and their kin ----

TEST_F(Cancellation, EndsWhoWaitsForAnEventOrAPermit)
{
    spork_event *event = spork_event_new();
    spork_semaphore *count = spork_semaphore_new(0, 0), *permits = spork_semaphore_new(1, 1);
    ok(spork_semaphore_acquire(permits, 0));
    expect_ended([&] { return spork_event_wait(event, SPORK_FOREVER); },
                 [&] { until([&] { return spork__event_awaited(event); }, "nobody waits"); });
    for (spork_semaphore *semaphore : {count, permits}) {
        expect_ended(
            [&] { return spork_semaphore_acquire(semaphore, SPORK_FOREVER); },
            [&] { until([&] { return spork__semaphore_awaited(semaphore); }, "nobody waits"); });
        ok(spork_semaphore_release(semaphore));
        ok(spork_semaphore_acquire(semaphore, 0));
    }
    spork_event_free(event);
    spork_semaphore_free(count);
    spork_semaphore_free(permits);
}

TEST_F(Cancellation, EndsWhoWaitsForOneOfMany)
{
    Held queue;
    Ends ends;
    spork_event *event = spork_event_new();
    std::vector<spork_wait_item> items = {spork_on(queue.get()), spork_on(ends.reader)};
    while (items.size() < 40) items.push_back(spork_on(event)); // more than fit on a stack
    for (size_t count : {size_t(3), items.size()})
        expect_ended([&] { return spork_wait(items.data(), count, SPORK_FOREVER); },
                     [&] { expect_sleeper(queue, SPORK_GET); });
    ok(put(queue, "for nobody before"));
    ok(spork_wait(items.data(), items.size(), kWatchdogMs));
    ends.expect_works();
    spork_event_free(event);
}

// As with pthread_cond_wait: it has the lock again when its own handlers run.
TEST_F(Cancellation, OfWhoWaitsForAConditionLeavesItTheLock)
{
    spork_condition *condition = spork_condition_new();
    spork_status released = SPORK_INVALID;
    Caller waiter([&] { return cancels_wait_for_condition(condition, &released); });
    until([&] { return spork__condition_waiting(condition) == 1; }, "nobody waits");
    ok(spork_condition_acquire(condition, kWatchdogMs));
    waiter.cancel();
    ok(spork_condition_release(condition));
    EXPECT_FALSE(waiter.ended_by_itself());
    EXPECT_EQ(SPORK_OK, released);
    EXPECT_EQ(0u, spork__condition_waiting(condition));
    ok(spork_condition_acquire(condition, 0));
    ok(spork_condition_release(condition));
    spork_condition_free(condition);
}

TEST_F(Cancellation, OfWhoWasNotifiedNotifiesTheNext)
{
    spork_condition *condition = spork_condition_new();
    spork_status released[2]; // each thread's own
    auto wait = [&](int i) { return cancels_wait_for_condition(condition, &released[i]); };
    auto wait_for = [&](unsigned count) {
        until([&] { return spork__condition_waiting(condition) == count; }, "they do not wait");
    };
    Caller first([&] { return wait(0); });
    wait_for(1);
    Caller second([&] { return wait(1); });
    wait_for(2);
    ok(spork_condition_acquire(condition, kWatchdogMs));
    first.cancel(); // which it sees when it wakes
    ok(spork_condition_notify(condition, 1));
    ok(spork_condition_release(condition));
    EXPECT_FALSE(first.ended_by_itself());
    EXPECT_TRUE(second.ended_by_itself());
    EXPECT_EQ(SPORK_OK, second.result);
    EXPECT_EQ(SPORK_OK, released[0]);
    EXPECT_EQ(SPORK_OK, released[1]);
    spork_condition_free(condition);
}

// ---- everything else is no point ----

// What a program does all the time, while a cancellation is pending.
void do_all_kinds(Held *queue, Ends *ends)
{
    ok(put(*queue, "bytes", 0));
    EXPECT_EQ("bytes", get(*queue, 0));
    ok(spork_connection_send_bytes(ends->writer, "bytes", 5, 0));
    ok(spork_connection_send(ends->writer, spork_pack("a text"), 0));
    Held other;
    spork_lock *lock = spork_lock_new();
    ok(spork_lock_acquire(lock, SPORK_FOREVER));
    ok(spork_lock_release(lock));
    spork_lock_free(lock);
    spork_shm *shm = spork_shm_new(kMiB);
    EXPECT_NE(nullptr, shm);
    spork_shm_free(shm);
    Ends more;
    spork_cpu_count();
    Child child(queues_get_one, spork_pack(other.get(), 0, 0));
    ok(child.start());
    ok(put(other, "go", 0));
    spork_process_is_alive(child.get());
    ok(spork_process_kill(child.get()));
    cancels_disable(); // for the join
    child.join();
}

TEST_F(Cancellation, DoesNotActWhereNothingIsWaitedFor)
{
    Held queue;
    Ends ends;
    do_all_kinds(&queue, &ends); // what a process opens once
    int before = harness_descriptors(nullptr, 0);
    Caller caller([&] {
        cancels_cancel_self();
        do_all_kinds(&queue, &ends);
        return 7;
    });
    EXPECT_TRUE(caller.ended_by_itself()) << "it was ended in a call that waits for nobody";
    EXPECT_EQ(7, caller.result);
    EXPECT_EQ(before, harness_descriptors(nullptr, 0));
}

TEST_F(Cancellation, OfWhoStartsAProcessIsNotTheChilds)
{
    Caller caller([] {
        cancels_cancel_self();
        Child child(target_sleep_ms, spork_pack(1, 5));
        ok(child.start());
        cancels_disable(); // for the join
        return child.join();
    });
    EXPECT_TRUE(caller.ended_by_itself());
    EXPECT_EQ(5, caller.result);
}

// ---- storms ----

// Threads that put and get are cancelled at any moment: each message that was put is got, once and
// whole.
TEST_F(Cancellation, OfManyAtAnyMomentLosesNothing)
{
    Held queue(0, 256 * kKiB);
    std::mutex mutex;
    std::map<uint64_t, int> seen; // + 1: put, - 1: got
    std::atomic<uint64_t> next{1};
    std::atomic<int> torn{0};
    auto message = [](uint64_t number) {
        std::string text = bytes_of(number % 5 == 0 ? 60 * kKiB : 200 + number % 900,
                                    static_cast<uint32_t>(number));
        memcpy(&text[0], &number, sizeof number);
        return text;
    };
    auto note = [&](uint64_t number, int change) {
        std::lock_guard<std::mutex> guard(mutex);
        if ((seen[number] += change) == 0) seen.erase(number);
    };
    auto puts = [&] {
        for (;;) {
            uint64_t number = next++;
            if (put(queue, message(number), SPORK_FOREVER) == SPORK_OK) note(number, 1);
        }
        return 0;
    };
    auto gets = [&] {
        for (;;) {
            uint64_t number = 0;
            std::string text = receive(queue);
            if (text.size() < sizeof number) continue;
            memcpy(&number, text.data(), sizeof number);
            if (text != message(number)) torn++;
            note(number, -1);
        }
        return 0;
    };
    unsigned seed = storm_seed();
    std::minstd_rand random(seed);
    std::vector<std::unique_ptr<Caller>> callers(8);
    for (int round : repeat(20000, 20, 3)) {
        (void)round;
        unsigned from = random() % 8, count = 1 + random() % 8;
        if (random() % 3 != 0) spork_sleep(static_cast<int>(random() % 3));
        for (unsigned i = from; i < from + count; i++)
            if (callers[i % 8] != nullptr) callers[i % 8]->cancel();
        for (unsigned i = from; i < from + count; i++) {
            callers[i % 8].reset(); // waits for its end
            callers[i % 8] =
                i % 2 == 0 ? std::make_unique<Caller>(puts) : std::make_unique<Caller>(gets);
        }
    }
    for (auto &caller : callers)
        if (caller != nullptr) caller->cancel();
    callers.clear();
    for (std::string text; (text = get(queue, 0)) != kTimeout;) {
        uint64_t number = 0;
        memcpy(&number, text.data(), sizeof number);
        note(number, -1);
    }
    EXPECT_EQ(0, torn);
    EXPECT_TRUE(seen.empty()) << seen.size() << " messages, the first is " << seen.begin()->first
                              << ": "
                              << (seen.begin()->second > 0 ? "put, not got" : "got, not put");
}

// ---- threads that end without returning ----

class ThreadsThatDoNotReturn : public testing::TestWithParam<spork_target> {};

TEST_P(ThreadsThatDoNotReturn, AreJoined)
{
    if (GetParam() == cancels_wait_target && !cancels_there_are())
        GTEST_SKIP() << "threads are not cancelled here";
    Held queue;
    spork_thread *thread = spork_thread_new(GetParam(), spork_pack(spork_move(queue.get())));
    ok(spork_thread_start(thread));
    queue.release();
    ok(spork_thread_join(thread, kWatchdogMs));
    EXPECT_EQ(SPORK_EXIT_UNKNOWN, spork_thread_exitcode(thread));
    EXPECT_FALSE(spork_thread_is_alive(thread));
    spork_thread_free(thread);
}

TEST_P(ThreadsThatDoNotReturn, MayBeFreedBefore)
{
    if (GetParam() == cancels_wait_target && !cancels_there_are())
        GTEST_SKIP() << "threads are not cancelled here";
    spork_connection *reader, *writer; // its end, which goes with the thread, is what is seen
    char byte;
    ok(spork_pipe(&reader, &writer));
    spork_thread *thread = spork_thread_new(GetParam(), spork_pack(spork_move(writer)));
    ok(spork_thread_start(thread));
    spork_thread_free(thread);
    EXPECT_EQ(SPORK_CLOSED, spork_connection_recv_bytes(reader, &byte, 1, nullptr, kWatchdogMs));
    spork_connection_free(reader);
}

INSTANTIATE_TEST_SUITE_P(Each, ThreadsThatDoNotReturn,
                         testing::Values(cancels_exit_target, cancels_wait_target));

// A pool of threads that are all up.
struct Threads {
    spork_pool *pool;
    Threads()
    {
        spork_pool_options options = {};
        options.workers = 2;
        options.threads = true;
        pool = spork_pool_new_with(&options);
        spork_pool_counters counters = {};
        until(
            [&] { return spork_pool_count(pool, &counters) == SPORK_OK && counters.workers == 2; },
            "they do not come up");
    }
    ~Threads()
    {
        EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
        EXPECT_NE(SPORK_TIMEOUT, spork_pool_join(pool, kWatchdogMs));
        spork_pool_free(pool);
    }
    Threads(const Threads &) = delete;
    Threads &operator=(const Threads &) = delete;
    spork_future *give(spork_task_fn fn) const
    {
        spork_future *future = nullptr;
        ok(spork_pool_apply_async(pool, fn, SPORK_NO_ARGS, nullptr, &future));
        return future;
    }
};

int fine(const spork_args *, spork_task *task) { return spork_return(task, 5); }

TEST(ThreadsOfAPool, ThatEndInATaskCostThatTask)
{
    Threads threads;
    spork_future *lost = threads.give(cancels_exit_task), *next = threads.give(fine);
    ok(spork_future_wait(lost, kWatchdogMs));
    EXPECT_EQ(SPORK_CRASHED, spork_future_status(lost));
    EXPECT_NE(nullptr, strstr(spork_future_error(lost), "a thread, was ended"))
        << spork_future_error(lost);
    ok(spork_future_wait(next, kWatchdogMs));
    EXPECT_EQ(SPORK_OK, spork_future_status(next));
    spork_future_free(lost);
    spork_future_free(next);
}

// One after the other in the only memory that there is: what each had is given back.
TEST(ThreadsOfAPool, ThatEndInATaskLeaveNoMemoryBehind)
{
    Threads threads;
    auto rss = [] { return harness_rss_kib(); };
    long before = 0;
    for (int i = 0; i < 12; i++) {
        spork_future *lost = threads.give(cancels_exit_with_memory);
        ok(spork_future_wait(lost, kWatchdogMs));
        EXPECT_EQ(SPORK_CRASHED, spork_future_status(lost));
        spork_future_free(lost);
        if (i == 3) before = rss();
    }
    EXPECT_LT(rss() - before, 4 * 16 * 1024);
}

TEST(ThreadsOfAPool, ThatEndInTheInitializerAreNamed)
{
    spork_pool_options options = {};
    options.workers = 1;
    options.threads = true;
    options.initializer = cancels_exit_target;
    spork_pool *pool = spork_pool_new_with(&options);
    spork_future *future = nullptr;
    spork_status status = spork_pool_apply_async(pool, fine, SPORK_NO_ARGS, nullptr, &future);
    std::string why = spork_error(); // the pool may be broken already
    if (status == SPORK_OK) {
        ok(spork_future_wait(future, kWatchdogMs));
        EXPECT_EQ(SPORK_BROKEN, spork_future_status(future));
        why = spork_future_error(future);
    }
    EXPECT_NE(std::string::npos, why.find("a thread, was ended in the initializer")) << why;
    spork_future_free(future);
    spork_pool_close(pool);
    EXPECT_NE(SPORK_TIMEOUT, spork_pool_join(pool, kWatchdogMs));
    spork_pool_free(pool);
}

// What is printed in a callback is a cancellation point, and the pool is in the middle of
// something.
TEST_F(Cancellation, DoesNotActInTheCallbacksOfAPool)
{
    Threads threads;
    int items[100] = {}, results[100] = {};
    Caller caller([&] {
        spork_map_options options = {};
        options.progress = [](size_t, size_t, void *) {
            cancels_cancel_self();
            cancels_test();
        };
        return static_cast<int>(spork_pool_map(
            threads.pool, [](const void *, void *, spork_task *) { return 0; }, items, results, 100,
            &options));
    });
    EXPECT_TRUE(caller.ended_by_itself());
    EXPECT_EQ(SPORK_OK, caller.result);
}

TEST_F(Cancellation, DoesNotActInWhatIsCalledAtTheEndOfATask)
{
    spork_pool_options options = {};
    options.workers = 1;
    options.threads = options.manual_callbacks = true;
    spork_pool *pool = spork_pool_new_with(&options);
    Caller caller([&] {
        spork_task_options o = {};
        spork_future *future = nullptr;
        o.done = [](const spork_future *, void *) {
            cancels_cancel_self();
            cancels_test();
        };
        ok(spork_pool_apply_async(pool, fine, SPORK_NO_ARGS, &o, &future));
        spork_status status = spork_pool_poll(pool, kWatchdogMs);
        spork_future_free(future);
        return static_cast<int>(status);
    });
    EXPECT_TRUE(caller.ended_by_itself());
    EXPECT_EQ(SPORK_OK, caller.result);
    spork_pool_close(pool);
    EXPECT_NE(SPORK_TIMEOUT, spork_pool_join(pool, kWatchdogMs));
    spork_pool_free(pool);
}

} // namespace
