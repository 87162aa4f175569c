// Threads, as a user sees them: what they get and return, who they are, who may wait for them, and how a program with threads ends.
// Runs once under each start method, for the processes that threads start and the threads that processes start.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "books.h"
#include "child.h"
#include "harness/threads.h"

namespace {

// ---- helpers ----

// An object that is freed at the end of its scope, unless it was released.
template <class T, void (*Free)(T *)> class Own {
  public:
    explicit Own(T *object) : object_(object) { EXPECT_NE(nullptr, object_) << spork_error(); }
    ~Own() { Free(object_); }
    Own(const Own &) = delete;
    Own &operator=(const Own &) = delete;
    operator T *() const { return object_; } // NOLINT: it stands for the object
    T *get() const { return object_; }
    T *release() { return std::exchange(object_, nullptr); }

  private:
    T *object_;
};
using Lock = Own<spork_lock, spork_lock_free>;
using RLock = Own<spork_rlock, spork_rlock_free>;
using Semaphore = Own<spork_semaphore, spork_semaphore_free>;
using Event = Own<spork_event, spork_event_free>;
using Condition = Own<spork_condition, spork_condition_free>;
using Barrier = Own<spork_barrier, spork_barrier_free>;
using Queue = Own<spork_queue, spork_queue_free>;
using Shm = Own<spork_shm, spork_shm_free>;
using Connection = Own<spork_connection, spork_connection_free>;

// A thread of Spork that is waited for and freed at the end of its scope. (Thread, in child.h, is one that Spork did not start.)
class Spun {
  public:
    explicit Spun(spork_thread *thread) : thread_(thread) {}
    Spun(spork_target target, const spork_args &args) : thread_(spork_thread_new(target, args)) {}
    explicit Spun(const spork_thread_options &options) : thread_(spork_thread_new_with(&options)) {}
    Spun(const Spun &) = delete;
    Spun &operator=(const Spun &) = delete;
    ~Spun()
    {
        if (spork_thread_is_alive(thread_)) spork_thread_join(thread_, kWatchdogMs);
        spork_thread_free(thread_);
    }
    spork_thread *get() const { return thread_; }
    spork_thread *release() { return std::exchange(thread_, nullptr); }
    std::string name() const { return spork_thread_name(thread_); }
    spork_status start() { return spork_thread_start(thread_); }
    // Its exit code once it has ended; fails the test if it does not.
    int join()
    {
        EXPECT_EQ(SPORK_OK, spork_thread_join(thread_, kWatchdogMs)) << spork_error();
        return spork_thread_exitcode(thread_);
    }
    int run()
    {
        spork_status status = start();
        EXPECT_EQ(SPORK_OK, status) << spork_error();
        return status == SPORK_OK ? join() : -999;
    }

  private:
    spork_thread *thread_;
};

spork_thread_options thread_options(spork_target target, const spork_args &args, const char *name = nullptr)
{
    spork_thread_options options = {};
    options.target = target;
    options.args = args;
    options.name = name;
    return options;
}

// Where a thread stops until the test lets it go on; at the latest when the gate's scope ends.
struct Gate {
    Event there{spork_event_new()}, go{spork_event_new()};
    void wait() { EXPECT_EQ(SPORK_OK, spork_event_wait(there, kWatchdogMs)) << spork_error(); }
    void open() { EXPECT_EQ(SPORK_OK, spork_event_set(go)) << spork_error(); }
};

// What threads use that nobody joins: nothing tells when they have let go of it.
struct Lasting {
    Gate gate;
    Semaphore semaphore{spork_semaphore_new(0, 0)};
    static Lasting &the()
    {
        static auto *lasting = new Lasting;
        spork_event_clear(lasting->gate.there);
        spork_event_clear(lasting->gate.go);
        return *lasting;
    }
};

// A thread that runs, and waits at its gate.
class Waiting {
  public:
    explicit Waiting(int code = 0, const char *name = nullptr)
        : thread_(thread_options(threads_hold, spork_pack(gate_.there.get(), gate_.go.get(), code), name))
    {
        EXPECT_EQ(SPORK_OK, thread_.start()) << spork_error();
        gate_.wait();
    }
    ~Waiting() { gate_.open(); }
    Waiting(const Waiting &) = delete;
    Waiting &operator=(const Waiting &) = delete;
    spork_thread *get() const { return thread_.get(); }
    spork_thread *release() { return thread_.release(); }
    std::string name() const { return thread_.name(); }
    void open() { gate_.open(); }
    int join() { return thread_.join(); }
    int end()
    {
        open();
        return join();
    }

  private:
    Gate gate_;
    Spun thread_;
};

testing::AssertionResult says(const std::string &part, const std::string &sentence = spork_error())
{
    if (sentence.find(part) != std::string::npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "\"" << sentence << "\" does not say \"" << part << "\"";
}

void until(const std::function<bool()> &done, const char *what)
{
    EXPECT_TRUE(harness_until([](void *user) { return (*static_cast<const std::function<bool()> *>(user))(); },
                              const_cast<std::function<bool()> *>(&done)))
        << what;
}

// Lets who was told to wait get there, where nothing tells that he has; no result depends on it.
void linger() { spork_sleep(30); }

std::vector<spork_thread *> active()
{
    std::vector<spork_thread *> list(200);
    list.resize(std::min(list.size(), spork_active_threads(list.data(), list.size())));
    return list;
}

bool is_active(spork_thread *thread)
{
    auto list = active();
    return std::find(list.begin(), list.end(), thread) != list.end();
}

// The N of Thread-N or Dummy-N; 0: it is no such name.
int number_of(const std::string &name, const std::string &kind)
{
    int number = 0, end = 0;
    std::string format = kind + "-%d%n";
    return sscanf(name.c_str(), format.c_str(), &number, &end) == 1 && static_cast<size_t>(end) == name.size() ? number
                                                                                                               : 0;
}

class Threads : public Books {
  protected:
    void SetUp() override
    {
        static bool warm = false; // the first of each lets Spork open what it keeps
        if (!warm) {
            threads_sight sight;
            threads_see(&sight);
            Thread([&] { threads_see(&sight); }).join();
            EXPECT_EQ(0, Spun(threads_look, spork_pack(spork_pointer(&sight))).run());
            Gate gate;
            EXPECT_EQ(SPORK_TIMEOUT, spork_event_wait(gate.go, 1));
            Lock lock(spork_lock_new());
            EXPECT_EQ(0, Spun(threads_end_with_lock, spork_pack(lock.get())).run());
            Child child(target_return, spork_pack(0));
            EXPECT_EQ(0, child.run());
            Lasting::the();
            warm = true;
        }
        open_books();
    }
};

// ---- what a thread gets ----

TEST_F(Threads, GetEveryKindOfValueAsACopy)
{
    Spun thread(
        threads_with_values()); // packed in a function that has returned, from variables that it has overwritten
    ASSERT_NE(nullptr, thread.get()) << spork_error();
    EXPECT_EQ("valued", thread.name());
    EXPECT_EQ(0, thread.run());
}

TEST_F(Threads, GetManyMebibytesAsACopy)
{
    std::vector<unsigned char> data(8u << 20);
    unsigned sum = 0;
    for (size_t i = 0; i < data.size(); i++) data[i] = static_cast<unsigned char>(i * 7);
    for (unsigned char byte : data) sum += byte;
    Spun thread(target_sum, spork_pack(spork_array(data.data(), data.size()), static_cast<int>(sum & 0xFF)));
    std::fill(data.begin(), data.end(), static_cast<unsigned char>(0));
    EXPECT_EQ(0, thread.run());
}

TEST_F(Threads, KeepTheirValuesToTheirEnd)
{
    Gate gate;
    auto text = std::make_unique<std::string>("text");
    std::vector<int> array = {0, 1, 2, 3};
    Spun thread(threads_read_late,
                spork_pack(text->c_str(), spork_bytes_of(text->data(), 4), spork_array(array.data(), array.size()),
                           gate.there.get(), gate.go.get()));
    text.reset();
    ASSERT_EQ(SPORK_OK, thread.start()) << spork_error();
    std::fill(array.begin(), array.end(), -1);
    gate.wait();
    gate.open();
    EXPECT_EQ(0, thread.join());
}

TEST_F(Threads, LearnWhichArgumentTheyUnpackWrongly)
{
    threads_sight sight = {};
    Spun thread(threads_unpack_wrong, spork_pack(5, spork_pointer(&sight)));
    EXPECT_EQ(0, thread.run());
    EXPECT_EQ(SPORK_INVALID, sight.found);
    EXPECT_TRUE(says("argument 1", sight.found_sentence));
}

TEST_F(Threads, GetTheVeryObjects)
{
    spork_connection *reader = nullptr, *writer = nullptr;
    ASSERT_EQ(SPORK_OK, spork_pipe(&reader, &writer)) << spork_error();
    Connection in(reader), out(writer);
    Queue queue(spork_queue_new(0, 0));
    Lock lock(spork_lock_new());
    RLock rlock(spork_rlock_new());
    Semaphore semaphore(spork_semaphore_new(0, 0));
    Event event(spork_event_new());
    Condition condition(spork_condition_new());
    Barrier barrier(spork_barrier_new(1));
    Shm shm(spork_shm_new(100));
    threads_objects all = {out, queue, lock, rlock, semaphore, event, condition, barrier, shm};
    {
        Spun thread(threads_use_objects,
                    spork_pack(spork_pointer(&all), out.get(), queue.get(), lock.get(), rlock.get(), semaphore.get(),
                               event.get(), condition.get(), barrier.get(), shm.get()));
        EXPECT_EQ(0, thread.run());
    }
    // They are ours as before, and show what was done with them.
    char sent[8] = "";
    size_t length = 0;
    EXPECT_EQ(SPORK_OK, spork_connection_recv_bytes(in, sent, sizeof sent, &length, kWatchdogMs)) << spork_error();
    EXPECT_EQ("sent", std::string(sent, length));
    spork_args *message = nullptr;
    ASSERT_EQ(SPORK_OK, spork_queue_get(queue, &message, 0)) << spork_error();
    const char *put = "";
    EXPECT_EQ(SPORK_OK, spork_unpack(message, &put)) << spork_error();
    EXPECT_STREQ("put", put);
    spork_args_free(message);
    EXPECT_EQ(1u, spork_semaphore_value(semaphore));
    EXPECT_TRUE(spork_event_is_set(event));
    EXPECT_STREQ("written", static_cast<const char *>(spork_shm_data(shm)));
    EXPECT_EQ(SPORK_OK, spork_lock_acquire(lock, 0)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_lock_release(lock)) << spork_error();
}

TEST_F(Threads, TakeAMovedObjectWithThem)
{
    spork_queue *queue = spork_queue_new(0, 0), *taken = nullptr;
    {
        Spun thread(threads_take_queue, spork_pack(spork_move(queue), false, spork_pointer(&taken)));
        EXPECT_EQ(0, thread.run());
    }
    EXPECT_EQ(queue, taken);
    EXPECT_EQ(SPORK_INVALID, spork_queue_put(queue, spork_pack(1), 0));
    EXPECT_TRUE(says("was freed")); // and the books balance, though nobody else has freed it
}

TEST_F(Threads, FreeAMovedObjectThemselvesIfTheyWant)
{
    for (bool keep : {false, true}) {
        spork_queue *queue = spork_queue_new(0, 0);
        Spun thread(threads_free_queue, spork_pack(spork_move(queue), keep));
        EXPECT_EQ(0, thread.run());
    } // and the books balance
}

TEST_F(Threads, KeepAMovedObjectIfTheyWant)
{
    spork_queue *queue = spork_queue_new(0, 0), *taken = nullptr;
    {
        Spun thread(threads_take_queue, spork_pack(spork_move(queue), true, spork_pointer(&taken)));
        EXPECT_EQ(0, thread.run());
    }
    ASSERT_EQ(queue, taken);
    EXPECT_EQ(1u, spork_queue_size(taken)) << "it lives";
    spork_queue_free(taken);
}

TEST_F(Threads, LeaveAnObjectToTheMessageItCameIn)
{
    spork_connection *ours = nullptr, *theirs = nullptr;
    ASSERT_EQ(SPORK_OK, spork_pipe_duplex(&ours, &theirs)) << spork_error();
    Connection in(ours), out(theirs);
    Queue queue(spork_queue_new(0, 0));
    ASSERT_EQ(SPORK_OK, spork_connection_send(out, spork_pack(queue.get()), kWatchdogMs)) << spork_error();
    spork_args *message = nullptr;
    ASSERT_EQ(SPORK_OK, spork_connection_recv(in, &message, kWatchdogMs)) << spork_error();
    spork_queue *received = nullptr, *taken = nullptr;
    ASSERT_EQ(SPORK_OK, spork_unpack(message, &received)) << spork_error();
    for (size_t i = 1; i <= 2; i++) {
        Spun thread(threads_take_queue, spork_pack(received, false, spork_pointer(&taken)));
        EXPECT_EQ(0, thread.run());
        EXPECT_EQ(received, taken);
        EXPECT_EQ(SPORK_OK, spork_queue_put(received, spork_pack(1), 0)) << spork_error();
        EXPECT_EQ(2 * i, spork_queue_size(queue));
    }
    spork_args_free(message);
    EXPECT_EQ(SPORK_INVALID, spork_queue_put(received, spork_pack(1), 0));
    EXPECT_EQ(4u, spork_queue_size(queue));
}

TEST_F(Threads, ThatNeverStartLeaveAMovedObjectWhereItWas)
{
    Queue queue(spork_queue_new(0, 0));
    spork_queue *taken = nullptr;
    {
        Spun thread(threads_take_queue, spork_pack(spork_move(queue.get()), false, spork_pointer(&taken)));
        ASSERT_NE(nullptr, thread.get()) << spork_error();
    }
    EXPECT_EQ(nullptr, taken);
    EXPECT_EQ(SPORK_OK, spork_queue_put(queue, spork_pack(1), 0)) << spork_error();
}

TEST_F(Threads, EndAMovedPipeWithTheirOwnEnd)
{
    spork_connection *reader = nullptr, *writer = nullptr;
    ASSERT_EQ(SPORK_OK, spork_pipe(&reader, &writer)) << spork_error();
    Connection in(reader);
    Gate gate;
    Spun thread(threads_say, spork_pack(spork_move(writer), "to the end", gate.go.get()));
    ASSERT_EQ(SPORK_OK, thread.start()) << spork_error();
    char said[16] = "";
    size_t length = 0;
    EXPECT_EQ(SPORK_OK, spork_connection_recv_bytes(in, said, sizeof said, &length, kWatchdogMs)) << spork_error();
    EXPECT_EQ("to the end", std::string(said, length));
    EXPECT_EQ(SPORK_TIMEOUT, spork_connection_poll(in, 0)) << "the thread is still there";
    gate.open();
    EXPECT_EQ(SPORK_CLOSED, spork_connection_recv_bytes(in, said, sizeof said, &length, kWatchdogMs)) << spork_error();
    EXPECT_EQ(0, thread.join());
}

TEST_F(Threads, TakeNoQueueWithARole)
{
    Queue queue(spork_queue_new(0, 0));
    for (spork_item item : {spork_put_only(queue.get()), spork_get_only(queue.get())}) {
        EXPECT_EQ(nullptr, spork_thread_new(threads_put_numbers, spork_pack(item, 1)));
        EXPECT_EQ(SPORK_UNSUPPORTED, spork_last_status());
        EXPECT_TRUE(says("spork_queue_close"));
        EXPECT_TRUE(says("argument 1"));
    }
    EXPECT_EQ(SPORK_OK, spork_queue_put(queue, spork_pack(1), 0)) << "it is as it was: " << spork_error();
}

TEST_F(Threads, TalkThroughOneQueueUntilOneOfThemClosesIt)
{
    Queue queue(spork_queue_new(4, 0));
    const int count = harness_count(2000);
    Spun thread(threads_put_numbers, spork_pack(queue.get(), count));
    ASSERT_EQ(SPORK_OK, thread.start()) << spork_error();
    spork_args *message = nullptr;
    spork_status status;
    int next = 0;
    while ((status = spork_queue_get(queue, &message, kWatchdogMs)) == SPORK_OK) {
        int number = -1;
        EXPECT_EQ(SPORK_OK, spork_unpack(message, &number)) << spork_error();
        EXPECT_EQ(next++, number);
        spork_args_free(message);
    }
    EXPECT_EQ(SPORK_CLOSED, status) << spork_error();
    EXPECT_EQ(count, next);
    EXPECT_EQ(0, thread.join());
}

TEST_F(Threads, RunTheirOwnRunWithACopyOfThemselves)
{
    const void *address = nullptr;
    threads_self self = {30, "self", &address};
    spork_thread_options options = {};
    options.run = threads_run;
    options.self = &self;
    options.self_size = sizeof self;
    options.args = spork_pack(12);
    Spun thread(options);
    self.code = 0;
    memset(self.text, 'x', sizeof self.text);
    EXPECT_EQ(42, thread.run());
    EXPECT_NE(nullptr, address);
    EXPECT_NE(static_cast<const void *>(&self), address);
    EXPECT_EQ(0, self.code) << "it has changed its copy";
    EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(address) % alignof(std::max_align_t));
}

// ---- who a thread is ----

TEST_F(Threads, AreNumberedUnlessTheyAreNamed)
{
    char name[] = "given";
    Spun first(target_return, spork_pack(0));
    Spun named(thread_options(target_return, spork_pack(0), name));
    Spun second(target_return, spork_pack(0));
    memset(name, 'x', sizeof name - 1);
    int number = number_of(first.name(), "Thread");
    EXPECT_GT(number, 0) << first.name();
    EXPECT_EQ(number + 1, number_of(second.name(), "Thread")) << second.name();
    EXPECT_EQ("given", named.name());
    EXPECT_EQ(0, second.run());
    EXPECT_EQ(number + 1, number_of(second.name(), "Thread")) << "still";
}

TEST_F(Threads, MayHaveAnyName)
{
    const std::string longest(200, 'n');
    for (const std::string &name : {std::string(""), std::string("h\xc3\xa9llo w\xc3\xb6rld"), longest}) {
        threads_sight sight = {};
        Spun thread(thread_options(threads_look, spork_pack(spork_pointer(&sight)), name.c_str()));
        EXPECT_EQ(name, thread.name());
        EXPECT_EQ(0, thread.run());
        EXPECT_EQ(name.substr(0, sizeof sight.name - 1), sight.name);
    }
}

TEST_F(Threads, SeeThemselvesAsTheObjectThatWasStarted)
{
    threads_sight sight = {};
    Spun thread(thread_options(threads_look, spork_pack(spork_pointer(&sight)), "seeing"));
    EXPECT_EQ(0, thread.run());
    EXPECT_EQ(thread.get(), sight.thread);
    EXPECT_STREQ("seeing", sight.name);
    EXPECT_TRUE(sight.alive);
    EXPECT_TRUE(sight.listed);
    EXPECT_EQ(SPORK_RUNNING, sight.exitcode);
    EXPECT_EQ(SPORK_BAD_STATE, sight.starts);
}

TEST_F(Threads, OfTheMainProgramIsMainThread)
{
    threads_sight sight;
    threads_see(&sight);
    EXPECT_STREQ("MainThread", sight.name);
    EXPECT_TRUE(sight.alive);
    EXPECT_FALSE(sight.listed) << "Spork has not started it";
    EXPECT_EQ(SPORK_RUNNING, sight.exitcode);
    EXPECT_EQ(SPORK_BAD_STATE, sight.starts);
    EXPECT_EQ(SPORK_BAD_STATE, sight.joins);
    EXPECT_TRUE(says("itself", sight.sentence));
    EXPECT_EQ(sight.thread, spork_current_thread());
}

TEST_F(Threads, ThatOthersHaveStartedAreDummies)
{
    threads_sight first = {}, again = {}, second = {};
    std::atomic<bool> seen{false};
    Thread one([&] {
        threads_see(&first);
        until([&] { return seen.load(); }, "the other thread");
        threads_see(&again);
    });
    Thread two([&] {
        threads_see(&second);
        seen = true;
    });
    one.join();
    two.join();
    for (const threads_sight &sight : {first, second}) {
        EXPECT_GT(number_of(sight.name, "Dummy"), 0) << sight.name;
        EXPECT_TRUE(sight.alive);
        EXPECT_FALSE(sight.listed);
        EXPECT_EQ(SPORK_RUNNING, sight.exitcode);
        EXPECT_EQ(SPORK_BAD_STATE, sight.starts);
        EXPECT_EQ(SPORK_BAD_STATE, sight.joins);
        EXPECT_TRUE(says("itself", sight.sentence));
    }
    EXPECT_STRNE(first.name, second.name);
    EXPECT_STREQ(first.name, again.name);
    EXPECT_EQ(first.thread, again.thread);
}

TEST_F(Threads, ThatWereFreedAreStillThemselves)
{
    Lasting &lasting = Lasting::the();
    threads_sight sight[2] = {};
    spork_thread *thread =
        spork_thread_new(threads_look_and_hold, spork_pack(spork_pointer(&sight[0]), lasting.gate.there.get(),
                                                           lasting.gate.go.get(), lasting.semaphore.get()));
    ASSERT_EQ(SPORK_OK, spork_thread_start(thread)) << spork_error();
    lasting.gate.wait();
    spork_thread_free(thread);
    Spun other(thread_options(target_return, spork_pack(0), "where the first one was"));
    lasting.gate.open();
    ASSERT_EQ(SPORK_OK, spork_semaphore_acquire(lasting.semaphore, kWatchdogMs)) << spork_error();
    EXPECT_GT(number_of(sight[0].name, "Thread"), 0) << sight[0].name;
    EXPECT_STREQ(sight[0].name, sight[1].name);
    EXPECT_EQ(sight[0].thread, sight[1].thread);
    EXPECT_TRUE(sight[1].alive);
    EXPECT_TRUE(sight[0].listed);
    EXPECT_FALSE(sight[1].listed) << "it was freed";
}

// ---- states ----

TEST_F(Threads, TellTheirStateBeforeDuringAndAfter)
{
    Gate gate;
    Spun thread(threads_hold, spork_pack(gate.there.get(), gate.go.get(), 3));
    spork_thread *t = thread.get();
    EXPECT_FALSE(spork_thread_is_alive(t));
    EXPECT_EQ(SPORK_RUNNING, spork_thread_exitcode(t));
    EXPECT_FALSE(is_active(t));
    EXPECT_EQ(SPORK_BAD_STATE, spork_thread_join(t, 0));
    EXPECT_TRUE(says("not started"));
    EXPECT_TRUE(says(thread.name()));
    EXPECT_EQ(SPORK_BAD_STATE, spork_thread_join(t, SPORK_FOREVER));
    ASSERT_EQ(SPORK_OK, thread.start()) << spork_error();
    EXPECT_TRUE(spork_thread_is_alive(t)) << "from the start on";
    gate.wait();
    EXPECT_TRUE(spork_thread_is_alive(t));
    EXPECT_TRUE(is_active(t));
    EXPECT_EQ(SPORK_RUNNING, spork_thread_exitcode(t));
    EXPECT_EQ(SPORK_BAD_STATE, spork_thread_start(t));
    EXPECT_TRUE(says("started before"));
    EXPECT_TRUE(says(thread.name()));
    gate.open();
    EXPECT_EQ(3, thread.join());
    EXPECT_FALSE(spork_thread_is_alive(t));
    EXPECT_FALSE(is_active(t));
    EXPECT_EQ(SPORK_BAD_STATE, spork_thread_start(t)) << "a thread runs once";
    EXPECT_TRUE(says("started before"));
    EXPECT_EQ(3, spork_thread_exitcode(t));
}

TEST_F(Threads, AreSeenToEndByWhoDoesNotJoin)
{
    Waiting thread(4);
    spork_thread *t = thread.get();
    thread.open();
    until([=] { return !spork_thread_is_alive(t); }, "it has not ended");
    EXPECT_EQ(4, spork_thread_exitcode(t));
    until([=] { return !is_active(t); }, "it is still listed");
    EXPECT_EQ(4, thread.join());
}

TEST_F(Threads, ReturnAnyExitCode)
{
    for (int code : {0, 1, 255, 256, 300, -1, -9, INT_MAX, INT_MIN + 2}) {
        Spun thread(target_return, spork_pack(code));
        EXPECT_EQ(code, thread.run());
        EXPECT_EQ(code, spork_thread_exitcode(thread.get())) << "again";
    }
}

TEST_F(Threads, AreStartedOnceByWhoeverIsFirst)
{
    for ([[maybe_unused]] int round : repeat(20)) {
        Semaphore runs(spork_semaphore_new(0, 0));
        Spun thread(threads_count, spork_pack(runs.get()));
        std::atomic<int> started{0}, refused{0};
        {
            std::vector<std::unique_ptr<Thread>> starters;
            for (int i = 0; i < 8; i++)
                starters.push_back(std::make_unique<Thread>([&] {
                    spork_status status = thread.start();
                    started += status == SPORK_OK;
                    refused += status == SPORK_BAD_STATE;
                }));
        }
        EXPECT_EQ(1, started);
        EXPECT_EQ(7, refused);
        EXPECT_EQ(0, thread.join());
        EXPECT_EQ(1u, spork_semaphore_value(runs));
    }
}

// ---- join ----

TEST_F(Threads, AreJoinedAsOftenAsOneLikes)
{
    Waiting thread(5);
    EXPECT_EQ(5, thread.end());
    for (int ms : {0, 10, SPORK_FOREVER}) EXPECT_EQ(SPORK_OK, spork_thread_join(thread.get(), ms)) << spork_error();
    EXPECT_EQ(5, spork_thread_exitcode(thread.get()));
}

TEST_F(Threads, AreJoinedByManyAtOnce)
{
    Waiting thread(6);
    std::atomic<int> joined{0}, right{0};
    std::vector<std::unique_ptr<Thread>> joiners;
    for (int i = 0; i < 8; i++)
        joiners.push_back(std::make_unique<Thread>([&, i] {
            spork_status status = spork_thread_join(thread.get(), i % 2 == 0 ? kWatchdogMs : SPORK_FOREVER);
            joined += status == SPORK_OK;
            right += spork_thread_exitcode(thread.get()) == 6;
        }));
    linger();
    EXPECT_EQ(0, joined);
    EXPECT_EQ(6, thread.end());
    joiners.clear();
    EXPECT_EQ(8, joined);
    EXPECT_EQ(8, right);
}

TEST_F(Threads, ThatLastLongerThanAJoinAreNamed)
{
    Waiting thread(0, "lasting");
    for (int ms : {0, 30}) {
        double begin = spork_time();
        EXPECT_EQ(SPORK_TIMEOUT, spork_thread_join(thread.get(), ms));
        EXPECT_GE((spork_time() - begin) * 1000, ms);
        EXPECT_TRUE(says("lasting"));
        EXPECT_TRUE(says("spork_thread_join"));
    }
    EXPECT_TRUE(spork_thread_is_alive(thread.get())) << "nothing happened to it";
    EXPECT_EQ(0, thread.end());
}

TEST_F(Threads, DoNotJoinThemselves)
{
    threads_sight sight = {};
    Spun thread(threads_look, spork_pack(spork_pointer(&sight)));
    EXPECT_EQ(0, thread.run());
    EXPECT_EQ(SPORK_BAD_STATE, sight.joins);
    EXPECT_TRUE(says("itself", sight.sentence));
    EXPECT_TRUE(says(thread.name(), sight.sentence));
}

TEST_F(Threads, AreJoinedAndFreedByAnyThread)
{
    Waiting inner(9);
    Spun outer(threads_join_other, spork_pack(spork_pointer(inner.get())));
    ASSERT_EQ(SPORK_OK, outer.start()) << spork_error();
    linger();
    inner.open();
    EXPECT_EQ(9, outer.join());
    inner.release(); // freed
}

TEST_F(Threads, HaveEndedAltogetherWhenTheyAreJoined)
{
    bool cleaned = false;
    Spun thread(threads_clean_up, spork_pack(spork_pointer(&cleaned)));
    EXPECT_EQ(0, thread.run());
    EXPECT_TRUE(cleaned) << "what the system runs at a thread's end had not run";
}

// ---- free ----

TEST_F(Threads, ThatAreFreedBeforeTheyStartNeverRun)
{
    Semaphore runs(spork_semaphore_new(0, 0));
    std::string text(100000, 't');
    spork_thread_free(spork_thread_new(threads_count, spork_pack(runs.get())));
    spork_thread_free(spork_thread_new(threads_count, spork_pack(text.c_str())));
    linger();
    EXPECT_EQ(0u, spork_semaphore_value(runs));
}

TEST_F(Threads, ThatAreFreedWhileTheyRunRunOn)
{
    Lasting &lasting = Lasting::the();
    threads_sight sight[2] = {};
    spork_thread *thread =
        spork_thread_new(threads_look_and_hold, spork_pack(spork_pointer(&sight[0]), lasting.gate.there.get(),
                                                           lasting.gate.go.get(), lasting.semaphore.get()));
    ASSERT_EQ(SPORK_OK, spork_thread_start(thread)) << spork_error();
    lasting.gate.wait();
    EXPECT_EQ(1u, spork_active_threads(nullptr, 0));
    spork_thread_free(thread);
    EXPECT_EQ(0u, spork_active_threads(nullptr, 0));
    EXPECT_EQ(SPORK_TIMEOUT, spork_semaphore_acquire(lasting.semaphore, 10));
    lasting.gate.open();
    EXPECT_EQ(SPORK_OK, spork_semaphore_acquire(lasting.semaphore, kWatchdogMs)) << spork_error();
}

// ---- the list ----

TEST_F(Threads, ThatRunAreListed)
{
    EXPECT_EQ(0u, spork_active_threads(nullptr, 0));
    Waiting one, two, three;
    Spun fresh(target_return, spork_pack(0));
    EXPECT_EQ(3u, spork_active_threads(nullptr, 0));
    auto list = active();
    EXPECT_EQ((std::set<spork_thread *>{one.get(), two.get(), three.get()}),
              std::set<spork_thread *>(list.begin(), list.end()));
    spork_thread *room[3] = {nullptr, nullptr, nullptr};
    EXPECT_EQ(3u, spork_active_threads(room, 2));
    EXPECT_NE(nullptr, room[0]);
    EXPECT_NE(nullptr, room[1]);
    EXPECT_EQ(nullptr, room[2]) << "there was room for two";
    EXPECT_EQ(0, two.end());
    list = active();
    EXPECT_EQ((std::set<spork_thread *>{one.get(), three.get()}), std::set<spork_thread *>(list.begin(), list.end()));
    EXPECT_EQ(0, one.end());
    EXPECT_EQ(0, three.end());
    EXPECT_EQ(0u, spork_active_threads(nullptr, 0));
}

// ---- errors ----

TEST_F(Threads, HaveTheirOwnErrors)
{
    EXPECT_EQ(nullptr, spork_thread_new(nullptr, SPORK_NO_ARGS));
    const std::string ours = spork_error();
    for (int round = 0; round < 2; round++) { // the second may lie where the first has been
        threads_sight sight = {};
        Spun thread(threads_look, spork_pack(spork_pointer(&sight)));
        EXPECT_EQ(0, thread.run());
        EXPECT_EQ(SPORK_OK, sight.found) << "a thread begins without an error";
        EXPECT_STREQ("", sight.found_sentence);
        EXPECT_TRUE(says("itself", sight.sentence));
    }
    EXPECT_EQ(ours, spork_error());
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
}

TEST_F(Threads, NullIsInvalidAndKeepsTheSentence)
{
    EXPECT_EQ(nullptr, spork_thread_new(nullptr, SPORK_NO_ARGS));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    const std::string sentence = spork_error();
    EXPECT_TRUE(says("target"));
    EXPECT_EQ(SPORK_INVALID, spork_thread_start(nullptr));
    EXPECT_EQ(SPORK_INVALID, spork_thread_join(nullptr, SPORK_FOREVER));
    EXPECT_FALSE(spork_thread_is_alive(nullptr));
    EXPECT_EQ(SPORK_RUNNING, spork_thread_exitcode(nullptr));
    EXPECT_STREQ("", spork_thread_name(nullptr));
    spork_thread_free(nullptr);
    EXPECT_EQ(sentence, spork_error());
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
}

TEST_F(Threads, WithOptionsThatMeanNothingAreRefused)
{
    EXPECT_EQ(nullptr, spork_thread_new_with(static_cast<spork_thread_options *>(nullptr)));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    spork_thread_options options = {};
    EXPECT_EQ(nullptr, spork_thread_new_with(&options));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    EXPECT_TRUE(says("target"));
    options = thread_options(target_return, spork_pack(0));
    options.run = threads_run;
    EXPECT_EQ(nullptr, spork_thread_new_with(&options));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    EXPECT_TRUE(says("run"));
    options.target = nullptr;
    options.self_size = 8;
    EXPECT_EQ(nullptr, spork_thread_new_with(&options));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    EXPECT_TRUE(says("self"));
}

TEST_F(Threads, WithAnArgumentThatCannotBePackedAreRefused)
{
    EXPECT_EQ(nullptr, spork_thread_new(target_return, spork_pack(1, static_cast<const char *>(nullptr))));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    EXPECT_TRUE(says("argument 2"));
    EXPECT_EQ(nullptr, spork_thread_new(target_return, spork_pack(static_cast<spork_lock *>(nullptr))));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    EXPECT_TRUE(says("argument 1"));
    spork_lock *lock = spork_lock_new();
    spork_lock_free(lock);
    EXPECT_EQ(nullptr, spork_thread_new(target_return, spork_pack(lock)));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    EXPECT_TRUE(says("argument 1"));
}

TEST_F(Threads, OlderProgramsOptionsAreShorter)
{
    spork_thread_options options = thread_options(target_return, spork_pack(9), "not read");
    Spun thread(spork__thread_new(&options, offsetof(spork_thread_options, name)));
    EXPECT_NE("not read", thread.name());
    EXPECT_EQ(9, thread.run());
}

TEST_F(Threads, NewerProgramsOptionsAreLonger)
{
    struct {
        spork_thread_options known;
        int newer[4];
    } more = {};
    more.known = thread_options(target_return, spork_pack(9), "read");
    Spun thread(spork__thread_new(&more.known, sizeof more));
    EXPECT_EQ("read", thread.name());
    EXPECT_EQ(9, thread.run());
}

TEST_F(Threads, ThatCannotStartMayBeTriedAgain)
{
#ifdef _WIN32
    const int code = 8; // ERROR_NOT_ENOUGH_MEMORY
#else
    const int code = EAGAIN;
#endif
    for (spork__fault_door door : {SPORK__FAULT_ALLOC, SPORK__FAULT_SYSTEM}) {
        int met = 0;
        for (long n = 1; n < 50; n++) {
            SCOPED_TRACE("call " + std::to_string(n) + (door == SPORK__FAULT_ALLOC ? " for memory" : " of the system"));
            threads_fault fault = threads_start_under_fault(door, n, code);
            if (fault.calls < n) {
                EXPECT_TRUE(fault.started) << fault.sentence;
                EXPECT_EQ(7, fault.exitcode);
                break;
            }
            met++;
            if (fault.started) { // it can do without what failed
                EXPECT_EQ(7, fault.exitcode);
                continue;
            }
            if (door == SPORK__FAULT_ALLOC) {
                EXPECT_EQ(SPORK_NO_MEMORY, fault.status) << fault.sentence;
            } else if (!windows()) {
                EXPECT_EQ(SPORK_NO_SPACE, fault.status) << fault.sentence;
            }
            EXPECT_TRUE(says(fault.made ? "spork_thread_start" : "", fault.sentence));
            EXPECT_STRNE("", fault.sentence);
            if (fault.made) {
                EXPECT_EQ(SPORK_OK, fault.second) << "the same thread again, after: " << fault.sentence;
                EXPECT_EQ(7, fault.exitcode);
            }
        }
        EXPECT_GT(met, 0) << "nothing can fail?";
    }
}

// ---- locks ----

TEST_F(Threads, ThatEndWithALockAreToldInTheLogAndCountAsDead)
{
    Lock lock(spork_lock_new());
    Spun thread(threads_end_with_lock, spork_pack(lock.get()));
    EXPECT_EQ(0, thread.run());
    EXPECT_EQ(1u, logged()) << log_text();
    EXPECT_EQ(SPORK_OWNER_DIED, spork_lock_acquire(lock, kWatchdogMs));
    EXPECT_EQ(SPORK_OK, spork_lock_recover(lock, kWatchdogMs)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_lock_release(lock)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_lock_acquire(lock, 0)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_lock_release(lock)) << spork_error();
}

TEST_F(Threads, ThatEndWithAnRLockAreToldInTheLogAndCountAsDead)
{
    RLock lock(spork_rlock_new());
    Spun thread(threads_end_with_rlock, spork_pack(lock.get()));
    EXPECT_EQ(0, thread.run());
    EXPECT_EQ(1u, logged()) << log_text();
    EXPECT_EQ(SPORK_OWNER_DIED, spork_rlock_acquire(lock, kWatchdogMs));
    EXPECT_EQ(SPORK_OK, spork_rlock_recover(lock, kWatchdogMs)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_rlock_release(lock)) << spork_error();
}

TEST_F(Threads, ThatEndWithAConditionAreToldInTheLogAndCountAsDead)
{
    Condition condition(spork_condition_new());
    Spun thread(threads_end_with_condition, spork_pack(condition.get()));
    EXPECT_EQ(0, thread.run());
    EXPECT_EQ(1u, logged()) << log_text();
    EXPECT_EQ(SPORK_OWNER_DIED, spork_condition_acquire(condition, kWatchdogMs));
    EXPECT_EQ(SPORK_OK, spork_condition_recover(condition, kWatchdogMs)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_condition_release(condition)) << spork_error();
}

TEST_F(Threads, ThatEndWithALockDoNotLetOthersHang)
{
    Lock lock(spork_lock_new());
    Gate gate;
    Spun owner(threads_end_with_lock, spork_pack(lock.get(), gate.there.get(), gate.go.get()));
    ASSERT_EQ(SPORK_OK, owner.start()) << spork_error();
    gate.wait();
    EXPECT_EQ(SPORK_TIMEOUT, spork_lock_acquire(lock, 10));
    EXPECT_EQ(SPORK_NOT_OWNER, spork_lock_release(lock));
    Thread other([&] { EXPECT_EQ(SPORK_OWNER_DIED, spork_lock_acquire(lock, SPORK_FOREVER)) << spork_error(); });
    linger();
    gate.open();
    EXPECT_EQ(0, owner.join());
    other.join();
    EXPECT_EQ(SPORK_OK, spork_lock_recover(lock, kWatchdogMs)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_lock_release(lock)) << spork_error();
}

// ---- threads and processes ----

TEST_F(Threads, StartThreadsThatStartThreads)
{
    Spun thread(threads_family, spork_pack(3));
    EXPECT_EQ(15, thread.run());
    EXPECT_EQ(0u, spork_active_threads(nullptr, 0));
}

TEST_F(Threads, StartProcesses)
{
    std::vector<std::unique_ptr<Spun>> threads;
    for (int i = 0; i < 8; i++) {
        threads.push_back(std::make_unique<Spun>(threads_start_process, spork_pack(10 + i)));
        ASSERT_EQ(SPORK_OK, threads.back()->start()) << spork_error();
    }
    for (int i = 0; i < 8; i++) EXPECT_EQ(10 + i, threads[static_cast<size_t>(i)]->join());
}

TEST_F(Threads, StartProcessesThatRunInTheirMainThreadAndHaveNoOther)
{
    Waiting another;
    Child child(threads_check_main, SPORK_NO_ARGS);
    EXPECT_EQ(0, child.run());
    Spun thread(threads_start_checked, SPORK_NO_ARGS);
    EXPECT_EQ(0, thread.run());
    EXPECT_EQ(0, another.end());
}

TEST_F(Threads, ThatEndLeaveTheProcessesTheyStarted)
{
    Pipe pipe, barrier;
    spork_process *process = nullptr;
    Spun thread(threads_leave_process,
                spork_pack(spork_pointer(&process), harness_give(pipe.writer), harness_give(barrier.reader)));
    EXPECT_EQ(0, thread.run());
    Child child(process);
    char byte = 0;
    EXPECT_EQ(1, harness_read(pipe.reader, &byte, 1));
    linger();
    EXPECT_TRUE(spork_process_is_alive(child.get())) << "the thread that started it has ended";
    barrier.close_writer();
    EXPECT_EQ(0, child.join());
}

TEST_F(Threads, OfAProcessAreNumberedFromOne)
{
    Spun ours(target_return, spork_pack(0)); // so that a copy of our number would be seen
    EXPECT_EQ(0, ours.run());
    Pipe pipe;
    Child child(threads_inside, spork_pack(harness_give(pipe.writer)));
    EXPECT_EQ(0, child.run());
    pipe.close_writer();
    EXPECT_EQ("MainThread\nThread-1\nThread-2\nThread-3\n", pipe.rest());
}

TEST_F(Threads, OfAProcessShareWhatItWasGiven)
{
    Queue queue(spork_queue_new(0, 0));
    Lock lock(spork_lock_new());
    Shm block(spork_shm_new(sizeof(int)));
    const int count = harness_count(1000);
    Child child(threads_share_inside, spork_pack(queue.get(), lock.get(), block.get(), count));
    EXPECT_EQ(0, child.run());
    EXPECT_EQ(4 * count, *static_cast<int *>(spork_shm_data(block)));
    EXPECT_EQ(4u, spork_queue_size(queue));
}

TEST_F(Threads, OfAProcessAreWaitedForWhenItsTargetHasReturned)
{
    Pipe pipe, barrier;
    Child child(threads_left_inside, spork_pack(harness_give(pipe.writer), harness_give(barrier.reader), false));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    pipe.close_writer();
    char said[8] = "";
    EXPECT_EQ(7, harness_read(pipe.reader, said, 7));
    EXPECT_STREQ("target.", said);
    linger();
    EXPECT_TRUE(spork_process_is_alive(child.get()));
    barrier.close_writer();
    EXPECT_EQ("thread.", pipe.rest());
    EXPECT_EQ(5, child.join());
}

TEST_F(Threads, OfAProcessAreNotWaitedForIfTheyAreDaemons)
{
    Pipe pipe, barrier;
    Child child(threads_left_inside, spork_pack(harness_give(pipe.writer), harness_give(barrier.reader), true));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    pipe.close_writer();
    EXPECT_EQ("target.", pipe.rest()); // the end of the file is the end of the process
    EXPECT_EQ(5, child.join());
}

TEST_F(Threads, BelongToTheProcessThatStartedThem)
{
    Waiting running(3, "held");
    Spun fresh(target_return, spork_pack(8));
    int failed = threads_fork(running.get(), fresh.get());
    if (failed == -1) GTEST_SKIP() << "this system has no fork";
    EXPECT_EQ(0, failed) << "number of the check in threads.c";
    EXPECT_TRUE(spork_thread_is_alive(running.get()));
    EXPECT_EQ(3, running.end());
    EXPECT_EQ(8, fresh.run());
}

// ---- many ----

TEST_F(Threads, OneAfterTheOtherLeaveNothingBehind)
{
    const int before = threads_of_system();
    for (int i : repeat(1000)) {
        Spun thread(target_return, spork_pack(i));
        ASSERT_EQ(i, thread.run());
    }
    EXPECT_EQ(0u, spork_active_threads(nullptr, 0));
    until([=] { return threads_of_system() <= before; }, "there are more threads than before");
}

TEST_F(Threads, ThatNobodyJoinsLeaveNothingBehind)
{
    const int before = threads_of_system();
    Semaphore &ran = Lasting::the().semaphore;
    for (int i : repeat(300)) {
        Spun thread(threads_count, spork_pack(ran.get()));
        ASSERT_EQ(SPORK_OK, thread.start()) << spork_error();
        if (i % 2 == 0) spork_thread_free(thread.release()); // while it runs, or just after
        ASSERT_EQ(SPORK_OK, spork_semaphore_acquire(ran, kWatchdogMs)) << spork_error();
        if (i % 2 == 1) spork_thread_free(thread.release());
    }
    until([=] { return spork_active_threads(nullptr, 0) == 0 && threads_of_system() <= before; },
          "there are more threads than before");
}

TEST_F(Threads, FiftyRunAtOnce)
{
    constexpr unsigned kCount = 50;
    Barrier barrier(spork_barrier_new(kCount + 1));
    Event go(spork_event_new());
    std::vector<std::unique_ptr<Spun>> threads;
    std::set<std::string> names;
    std::set<int> places;
    for (unsigned i = 0; i < kCount; i++) {
        threads.push_back(std::make_unique<Spun>(threads_meet, spork_pack(barrier.get(), go.get())));
        ASSERT_EQ(SPORK_OK, threads.back()->start()) << spork_error();
        names.insert(threads.back()->name());
    }
    unsigned ours = 0;
    EXPECT_EQ(SPORK_OK, spork_barrier_wait(barrier, &ours, kWatchdogMs)) << spork_error();
    EXPECT_EQ(kCount, spork_active_threads(nullptr, 0));
    EXPECT_EQ(SPORK_OK, spork_event_set(go)) << spork_error();
    for (auto &thread : threads) places.insert(thread->join());
    places.insert(static_cast<int>(ours));
    EXPECT_EQ(kCount, names.size());
    EXPECT_EQ(kCount + 1, places.size());
    EXPECT_EQ(0, *places.begin());
}

TEST_F(Threads, AreAskedByManyWhileTheyComeAndGo)
{
    for (int round : repeat(100)) {
        Spun thread(target_return, spork_pack(round));
        std::atomic<int> wrong{0};
        {
            std::vector<std::unique_ptr<Thread>> askers;
            for (int i = 0; i < 3; i++)
                askers.push_back(std::make_unique<Thread>([&] {
                    spork_thread *t = thread.get();
                    until(
                        [&] {
                            spork_status status = spork_thread_join(t, 0);
                            int code = spork_thread_exitcode(t);
                            wrong += code != SPORK_RUNNING && code != round;
                            wrong += status == SPORK_OK && (code != round || spork_thread_is_alive(t));
                            wrong += number_of(spork_thread_name(t), "Thread") == 0;
                            spork_active_threads(nullptr, 0);
                            return status == SPORK_OK;
                        },
                        "it has not ended");
                }));
            EXPECT_EQ(SPORK_OK, thread.start()) << spork_error();
        }
        ASSERT_EQ(0, wrong);
    }
}

// ---- the end of a program ----

std::string output_of(const char *how, int exitcode)
{
    harness_program *program = harness_run("thread-end", how);
    EXPECT_NE(nullptr, program);
    std::string output = harness_output(program);
    EXPECT_EQ(exitcode, harness_wait(program)) << output;
    harness_free(program);
    return output;
}

TEST(ProgramsWithThreads, WaitForThem)
{
    SHOWN_UNDER_FORK;
    EXPECT_EQ("main ends\nthread ends\n", output_of("waits", 0));
}

TEST(ProgramsWithThreads, WaitForThoseThatWereFreed)
{
    SHOWN_UNDER_FORK;
    EXPECT_EQ("main ends\nthread ends\n", output_of("waits for freed", 0));
}

TEST(ProgramsWithThreads, DoNotWaitForDaemons)
{
    SHOWN_UNDER_FORK;
    EXPECT_EQ("main ends\n", output_of("daemon", 0));
}

TEST(ProgramsWithThreads, WaitNoLongerThanTheUserWants)
{
    SHOWN_UNDER_FORK;
    EXPECT_EQ("main ends\n", output_of("bounded", 0));
}

TEST(ProgramsWithThreads, SayForWhomTheyWaitAfterTwoSeconds)
{
    SHOWN_UNDER_FORK;
    std::string output = output_of("slow", 0);
    EXPECT_EQ(0u, output.find("main ends\nlog: waiting at the end for Thread-1")) << output;
    EXPECT_NE(std::string::npos, output.find("\nthread ends\n")) << output;
}

TEST(ProgramsWithThreads, SayWhomTheyLeaveBehind)
{
    SHOWN_UNDER_FORK;
    std::string output = output_of("left", 0);
    EXPECT_EQ(0u, output.find("main ends\nlog: ending without the slow one")) << output;
}

TEST(ProgramsWithThreads, WaitInSporkShutdown)
{
    SHOWN_UNDER_FORK;
    EXPECT_EQ("thread ends\nshut down\nmain ends\n", output_of("shutdown", 0));
}

TEST(ProgramsWithThreads, MayEndByOneOfThem)
{
    SHOWN_UNDER_FORK;
    EXPECT_EQ("thread ends\n", output_of("by exit", 7));
}

TEST(ProgramsWithThreads, WaitForProcessesToo)
{
    EXPECT_EQ("main ends\nthread ends\nprocess ends\n", output_of("both", 0));
}

TEST(ProgramsWithThreads, WaitForThoseThatAreStartedMeanwhile)
{
    EXPECT_EQ("main ends\nthread ends\nthe other ends\n", output_of("starts another", 0));
}

TEST(ProgramsWithThreads, EndWellWhileDaemonsUseEverything)
{
    SHOWN_UNDER_FORK;
    for ([[maybe_unused]] int i : repeat(10)) ASSERT_EQ("main ends\n", output_of("restless", 0));
}

TEST(ProgramsWithThreads, NeedNoSporkInitForThem)
{
    SHOWN_UNDER_FORK;
    EXPECT_EQ("thread ends\nmain ends\n", output_of("without init", 0));
}

} // namespace
