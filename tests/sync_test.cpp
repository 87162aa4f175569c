// Locks, semaphores, events, conditions and barriers between threads and processes: who gets what, who is refused,
// and who may be killed.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "books.h"
#include "child.h"
#include "harness/syncs.h"
#include "harness/waits.h"
#include "sync.h"

#ifndef _WIN32
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace {

constexpr const char *kOk = "SPORK_OK", *kTimeout = "SPORK_TIMEOUT", *kDied = "SPORK_OWNER_DIED",
                     *kNotOwner = "SPORK_NOT_OWNER", *kBadState = "SPORK_BAD_STATE", *kBroken = "SPORK_BROKEN",
                     *kAnotherThread = "another thread of this process";

// ---- one word for all kinds ----

void let_go(spork_lock *p) { spork_lock_free(p); }
void let_go(spork_rlock *p) { spork_rlock_free(p); }
void let_go(spork_semaphore *p) { spork_semaphore_free(p); }
void let_go(spork_event *p) { spork_event_free(p); }
void let_go(spork_condition *p) { spork_condition_free(p); }
void let_go(spork_barrier *p) { spork_barrier_free(p); }

spork_status acquire(spork_lock *p, int ms = kWatchdogMs) { return spork_lock_acquire(p, ms); }
spork_status acquire(spork_rlock *p, int ms = kWatchdogMs) { return spork_rlock_acquire(p, ms); }
spork_status acquire(spork_condition *p, int ms = kWatchdogMs) { return spork_condition_acquire(p, ms); }
spork_status recover(spork_lock *p, int ms = kWatchdogMs) { return spork_lock_recover(p, ms); }
spork_status recover(spork_rlock *p, int ms = kWatchdogMs) { return spork_rlock_recover(p, ms); }
spork_status recover(spork_condition *p, int ms = kWatchdogMs) { return spork_condition_recover(p, ms); }
spork_status release(spork_lock *p) { return spork_lock_release(p); }
spork_status release(spork_rlock *p) { return spork_rlock_release(p); }
spork_status release(spork_condition *p) { return spork_condition_release(p); }

// An object that is freed at the end of its scope, unless it was moved away.
template <class T> class Held {
  public:
    explicit Held(T *object) : object_(object) { EXPECT_NE(nullptr, object_) << spork_error(); }
    Held(Held &&other) noexcept : object_(other.release()) {}
    Held(const Held &) = delete;
    Held &operator=(const Held &) = delete;
    ~Held() { close(); }
    operator T *() const { return object_; } // NOLINT: it stands for the object
    T *get() const { return object_; }
    T *release() { return std::exchange(object_, nullptr); }
    void close() { let_go(release()); }

  private:
    T *object_;
};
using Lock = Held<spork_lock>;
using RLock = Held<spork_rlock>;
using Semaphore = Held<spork_semaphore>;
using Event = Held<spork_event>;
using Condition = Held<spork_condition>;
using Barrier = Held<spork_barrier>;

template <class T> T *make(spork_owner_death death = SPORK_TELL)
{
    spork_lock_options options = {};
    options.on_owner_death = death;
    if constexpr (std::is_same_v<T, spork_lock>)
        return death == SPORK_TELL ? spork_lock_new() : spork_lock_new_with(&options);
    else if constexpr (std::is_same_v<T, spork_rlock>)
        return death == SPORK_TELL ? spork_rlock_new() : spork_rlock_new_with(&options);
    else
        return death == SPORK_TELL ? spork_condition_new() : spork_condition_new_with(&options);
}

testing::AssertionResult says(const std::string &part, const std::string &sentence = spork_error())
{
    if (sentence.find(part) != std::string::npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "\"" << sentence << "\" does not say \"" << part << "\"";
}

std::string name_of(spork_process *process)
{
    return std::string(spork_process_name(process)) + " (pid " + std::to_string(spork_process_pid(process)) + ")";
}

double ms_of(const std::function<void()> &what)
{
    double begin = spork_time();
    what();
    return (spork_time() - begin) * 1000;
}

void in_a_thread(const std::function<void()> &what) { std::thread(what).join(); }

void until(const std::function<bool()> &done, const char *what)
{
    EXPECT_TRUE(harness_until([](void *user) { return (*static_cast<const std::function<bool()> *>(user))(); },
                              const_cast<std::function<bool()> *>(&done)))
        << what;
}
void until_waiting(spork_condition *c, unsigned count)
{
    until([=] { return spork__condition_waiting(c) == count; }, "so many do not wait in the condition");
}
void until_waiting(spork_barrier *b, unsigned count)
{
    until([=] { return spork_barrier_waiting(b) == count; }, "so many do not wait at the barrier");
}
void until_awaited(spork_event *e)
{
    until([=] { return spork__event_awaited(e); }, "nobody waits for the event");
}
void until_awaited(spork_semaphore *s)
{
    until([=] { return spork__semaphore_awaited(s); }, "nobody waits for the semaphore");
}

// Lets who was told to wait get there, where nothing tells that he has; no result depends on it.
void linger() { spork_sleep(30); }

// ---- another process ----

// Another process that has the object and does what it is told.
class Actor {
  public:
    explicit Actor(spork_item object)
        : child_(syncs_act, spork_pack(object, harness_give(to_.reader), harness_give(from_.writer)))
    {
        EXPECT_EQ(SPORK_OK, child_.start()) << spork_error();
        to_.close_reader();
        from_.close_writer();
    }
    template <class T> explicit Actor(T *object) : Actor(spork__as(object)) {}
    template <class T> explicit Actor(const Held<T> &object) : Actor(spork__as(object.get())) {}
    // It gets the object over a connection.
    Actor(spork_connection *receives, spork_connection *sends, spork_item object)
        : child_(syncs_act_received,
                 spork_pack(spork_move(receives), harness_give(to_.reader), harness_give(from_.writer)))
    {
        EXPECT_EQ(SPORK_OK, child_.start()) << spork_error();
        to_.close_reader();
        from_.close_writer();
        EXPECT_EQ(SPORK_OK, spork_connection_send(sends, spork_pack(object), kWatchdogMs)) << spork_error();
    }
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
    int end()
    {
        to_.close_writer();
        return child_.join();
    }
    int join() { return child_.join(); }
    void kill()
    {
        strike();
        child_.join();
    }
    // Does not wait until it is dead.
    void strike() { EXPECT_EQ(SPORK_OK, spork_process_kill(child_.get())) << spork_error(); }
    std::string name() const { return name_of(child_.get()); }
    std::string sentence;

  private:
    Pipe to_, from_;
    Child child_;
};

template <class T> std::vector<std::unique_ptr<Actor>> actors(const T &object, int count)
{
    std::vector<std::unique_ptr<Actor>> all;
    for (int i = 0; i < count; i++) all.push_back(std::make_unique<Actor>(object));
    return all;
}

// Memory that several processes have.
class Board {
  public:
    Board() : end_(syncs_board_new()), board_(syncs_board_map(end_)) { EXPECT_NE(nullptr, board_); }
    ~Board()
    {
        syncs_board_unmap(board_);
        harness_end_free(end_);
    }
    Board(const Board &) = delete;
    Board &operator=(const Board &) = delete;
    syncs_board *operator->() const { return board_; }
    syncs_board *get() const { return board_; }
    spork_item give() const { return harness_give(end_); }

  private:
    harness_end *end_;
    syncs_board *board_;
};

// A connection with two ends that go with the scope.
struct Duplex {
    spork_connection *a = nullptr, *b = nullptr;
    Duplex() { EXPECT_EQ(SPORK_OK, spork_pipe_duplex(&a, &b)) << spork_error(); }
    ~Duplex()
    {
        spork_connection_free(a);
        spork_connection_free(b);
    }
    Duplex(const Duplex &) = delete;
    Duplex &operator=(const Duplex &) = delete;
};

// A second object of the same thing, which came back over a connection.
template <class T> Held<T> again(T *object)
{
    Duplex line;
    spork_args *message = nullptr;
    T *second = nullptr;
    EXPECT_EQ(SPORK_OK, spork_connection_send(line.a, spork_pack(object), kWatchdogMs)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_connection_recv(line.b, &message, kWatchdogMs)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_unpack(message, &second)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_keep(second)) << spork_error();
    spork_args_free(message);
    return Held<T>(second);
}

class Sync : public Books {
  protected:
    void SetUp() override
    {
#ifndef _WIN32
        signal(SIGPIPE, SIG_IGN); // a failing test says so
#endif
        static bool warm = false; // the first of each lets Spork open what it keeps
        if (!warm) {
            Lock lock(spork_lock_new());
            Semaphore semaphore(spork_semaphore_new(0, 1));
            Event event(spork_event_new());
            Condition condition(spork_condition_new());
            Barrier barrier(spork_barrier_new(2));
            Actor one(lock), two(condition), three(barrier);
            EXPECT_EQ(SPORK_OK, acquire(lock));
            EXPECT_EQ(kTimeout, one.does("acquire 1"));
            EXPECT_EQ(SPORK_OK, release(lock));
            EXPECT_EQ(kOk, one.does("acquire"));
            one.kill();
            EXPECT_EQ(SPORK_OWNER_DIED, acquire(lock));
            EXPECT_EQ(SPORK_OK, acquire(condition));
            EXPECT_EQ(SPORK_TIMEOUT, spork_condition_wait(condition, 1));
            EXPECT_EQ(SPORK_OK, release(condition));
            EXPECT_EQ(SPORK_TIMEOUT, spork_barrier_wait(barrier, nullptr, 1));
            EXPECT_EQ(SPORK_TIMEOUT, spork_event_wait(event, 1));
            spork_wait_item item = spork_on(event.get());
            EXPECT_EQ(SPORK_TIMEOUT, spork_wait(&item, 1, 1));
            EXPECT_EQ(SPORK_TIMEOUT, spork_semaphore_acquire(semaphore, 1));
            in_a_thread([&] { EXPECT_EQ(SPORK_OWNER_DIED, acquire(lock)); });
            EXPECT_EQ(0, two.end());
            EXPECT_EQ(0, three.end());
            warm = true;
        }
        open_books();
    }
};

// ---- what a lock, an rlock and the lock of a condition have in common ----

template <class T> class Locks : public Sync {
};
template <class T> struct Kind { // gtest wants to name a type, and the object's is incomplete
    using type = T;
};
struct KindNames {
    template <class T> static std::string GetName(int)
    {
        return std::is_same_v<T, Kind<spork_lock>>    ? "Lock"
               : std::is_same_v<T, Kind<spork_rlock>> ? "RLock"
                                                      : "Condition";
    }
};
using LockKinds = testing::Types<Kind<spork_lock>, Kind<spork_rlock>, Kind<spork_condition>>;
TYPED_TEST_SUITE(Locks, LockKinds, KindNames);

template <class T> bool locked(T *lock)
{
    if constexpr (std::is_same_v<T, spork_lock>)
        return spork_lock_locked(lock);
    else if constexpr (std::is_same_v<T, spork_rlock>)
        return spork_rlock_locked(lock);
    else { // a condition does not tell: somebody else would not get it
        bool refused = false;
        in_a_thread([&] {
            refused = acquire(lock, 0) != SPORK_OK;
            if (!refused) release(lock);
        });
        return refused;
    }
}

TYPED_TEST(Locks, IsTakenAndGivenUp)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    EXPECT_FALSE(locked(lock.get()));
    for (int ms : {0, 10, SPORK_FOREVER}) {
        ASSERT_EQ(SPORK_OK, acquire(lock, ms)) << spork_error();
        EXPECT_TRUE(locked(lock.get()));
        ASSERT_EQ(SPORK_OK, release(lock)) << spork_error();
        EXPECT_FALSE(locked(lock.get()));
    }
}

TYPED_TEST(Locks, IsOneThreadsAtATime)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    const int rounds = harness_count(5000);
    long counter = 0;
    {
        std::vector<std::unique_ptr<Thread>> threads;
        for (int i = 0; i < 4; i++)
            threads.push_back(std::make_unique<Thread>([&] {
                for (int n = 0; n < rounds; n++) {
                    ASSERT_EQ(SPORK_OK, acquire(lock)) << spork_error();
                    counter++;
                    ASSERT_EQ(SPORK_OK, release(lock)) << spork_error();
                }
            }));
    }
    EXPECT_EQ(4L * rounds, counter);
}

TYPED_TEST(Locks, IsOneProcessAtATime)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    Board board;
    const int rounds = harness_count(3000);
    std::vector<std::unique_ptr<Child>> children;
    for (int i = 0; i < 3; i++) {
        children.push_back(std::make_unique<Child>(syncs_count, spork_pack(lock.get(), board.give(), rounds)));
        ASSERT_EQ(SPORK_OK, children.back()->start()) << spork_error();
    }
    for (int n = 0; n < rounds; n++) {
        ASSERT_EQ(SPORK_OK, acquire(lock)) << spork_error();
        board->counter = board->counter + 1;
        ASSERT_EQ(SPORK_OK, release(lock)) << spork_error();
    }
    for (auto &child : children) EXPECT_EQ(0, child->join());
    EXPECT_EQ(4L * rounds, board->counter);
}

TYPED_TEST(Locks, ATimeoutNamesTheOwnerAndTakesNothing)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    Actor actor(lock), other(lock);
    ASSERT_EQ(kOk, actor.does("acquire"));
    EXPECT_LT(ms_of([&] { EXPECT_EQ(SPORK_TIMEOUT, acquire(lock, 0)); }), kWatchdogMs);
    EXPECT_TRUE(says(actor.name()));
    EXPECT_GE(ms_of([&] { EXPECT_EQ(SPORK_TIMEOUT, acquire(lock, 60)); }), 60);
    EXPECT_TRUE(says(actor.name()));
    EXPECT_TRUE(says("60 ms"));
    EXPECT_EQ(kTimeout, other.does("acquire 10"));
    EXPECT_TRUE(says(actor.name(), other.sentence));
    EXPECT_EQ(SPORK_NOT_OWNER, release(lock));
    EXPECT_EQ(kNotOwner, other.does("release"));
    EXPECT_EQ(kOk, actor.does("release"));
    EXPECT_EQ(SPORK_OK, acquire(lock, 0)) << spork_error();
    EXPECT_EQ(kTimeout, other.does("acquire 10"));
    EXPECT_TRUE(says(name_of(spork_current_process()), other.sentence));
    in_a_thread([&] {
        EXPECT_EQ(SPORK_TIMEOUT, acquire(lock, 10));
        EXPECT_TRUE(says(kAnotherThread));
    });
    EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
    EXPECT_EQ(0, actor.end());
    EXPECT_EQ(0, other.end());
}

// The lock is kept free for one who has waited for long, and waits no more.
TEST_F(Sync, ALockThatIsReservedForADeadWaiterCanBeTakenByWhoOnlyTries)
{
    spork_lock *lock = spork_lock_new();
    ASSERT_EQ(SPORK_OK, spork_lock_acquire(lock, kWatchdogMs)) << spork_error();
    Child waiter(syncs_starve_and_die, spork_pack(lock));
    EXPECT_EQ(-9, waiter.run());
    EXPECT_EQ(SPORK_OK, spork_lock_release(lock)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_lock_acquire(lock, 0)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_lock_release(lock)) << spork_error();
    spork_lock_free(lock);
}

TYPED_TEST(Locks, WhoWaitsGetsItWhenItIsReleased)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    Actor one(lock), two(lock);
    ASSERT_EQ(SPORK_OK, acquire(lock)) << spork_error();
    std::atomic<bool> got{false};
    Thread thread([&] {
        EXPECT_EQ(SPORK_OK, acquire(lock, SPORK_FOREVER)) << spork_error();
        got = true;
        EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
    });
    one.begin("acquire -1");
    two.begin("acquire");
    linger();
    EXPECT_FALSE(got);
    ASSERT_EQ(SPORK_OK, release(lock)) << spork_error();
    one.begin("release");
    two.begin("release");
    for (Actor *actor : {&one, &two}) {
        EXPECT_EQ(kOk, actor->answer());
        EXPECT_EQ(kOk, actor->answer());
    }
    thread.join();
    EXPECT_TRUE(got);
    EXPECT_FALSE(locked(lock.get()));
    EXPECT_EQ(0, one.end());
    EXPECT_EQ(0, two.end());
}

TYPED_TEST(Locks, OnlyTheOwnerReleasesIt)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    Actor actor(lock);
    EXPECT_EQ(SPORK_NOT_OWNER, release(lock)) << "nobody holds it";
    EXPECT_STRNE("", spork_error());
    EXPECT_EQ(kNotOwner, actor.does("release"));
    ASSERT_EQ(SPORK_OK, acquire(lock)) << spork_error();
    EXPECT_EQ(kNotOwner, actor.does("release"));
    EXPECT_TRUE(says(name_of(spork_current_process()), actor.sentence));
    in_a_thread([&] {
        EXPECT_EQ(SPORK_NOT_OWNER, release(lock));
        EXPECT_TRUE(says(kAnotherThread));
    });
    EXPECT_TRUE(locked(lock.get())) << "still";
    EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
    EXPECT_EQ(SPORK_NOT_OWNER, release(lock)) << "a second time";
    ASSERT_EQ(kOk, actor.does("acquire"));
    EXPECT_EQ(kNotOwner, actor.does("thread release"));
    EXPECT_TRUE(says(kAnotherThread, actor.sentence));
    EXPECT_EQ(SPORK_NOT_OWNER, release(lock));
    EXPECT_TRUE(says(actor.name()));
    EXPECT_EQ(kOk, actor.does("release"));
    EXPECT_EQ(kNotOwner, actor.does("release"));
    EXPECT_EQ(0, actor.end());
}

// Also those that are forked while it is held.
TYPED_TEST(Locks, AChildIsNotTheOwnerOfWhatItsParentHolds)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    ASSERT_EQ(SPORK_OK, acquire(lock)) << spork_error();
    Actor actor(lock);
    EXPECT_EQ(kNotOwner, actor.does("release"));
    EXPECT_EQ(kTimeout, actor.does("acquire 0"));
    EXPECT_EQ(0, actor.end());
    EXPECT_TRUE(locked(lock.get()));
    EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
}

TYPED_TEST(Locks, WhoWaitsAndIsKilledDoesNotGetIt)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    for (int round : repeat(20)) {
        Actor victim(lock), other(lock);
        ASSERT_EQ(SPORK_OK, acquire(lock)) << spork_error();
        victim.begin("acquire");
        linger();
        other.begin("acquire");
        if (round % 2 == 0) victim.kill();
        ASSERT_EQ(SPORK_OK, release(lock)) << spork_error();
        if (round % 2 == 1) victim.strike();
        std::string status = other.answer();
        if (round % 2 == 1 && status == kDied) { // it had got it just before
            EXPECT_EQ(kOk, other.does("recover"));
            status = kOk;
        }
        EXPECT_EQ(kOk, status) << other.sentence;
        EXPECT_EQ(kOk, other.does("release"));
        EXPECT_EQ(0, other.end());
        if (this->HasFailure()) break;
    }
}

// ---- the death of an owner ----

TYPED_TEST(Locks, WhoWaitsLearnsThatTheOwnerWasKilled)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    for ([[maybe_unused]] int round : repeat(10)) {
        Actor owner(lock), one(lock), two(lock);
        ASSERT_EQ(kOk, owner.does("acquire"));
        one.begin("acquire -1");
        two.begin("acquire");
        Thread thread([&] { EXPECT_EQ(SPORK_OWNER_DIED, acquire(lock, SPORK_FOREVER)) << spork_error(); });
        linger();
        owner.kill();
        EXPECT_EQ(kDied, one.answer());
        EXPECT_TRUE(says(owner.name(), one.sentence));
        EXPECT_EQ(kDied, two.answer());
        thread.join();
        EXPECT_EQ(SPORK_OWNER_DIED, acquire(lock)) << "to everybody: " << spork_error();
        EXPECT_EQ(SPORK_OWNER_DIED, acquire(lock, 0)) << "again: " << spork_error();
        EXPECT_EQ(kNotOwner, one.does("release")) << "it does not hold it";
        EXPECT_EQ(SPORK_NOT_OWNER, release(lock));
        ASSERT_EQ(kOk, one.does("recover")) << one.sentence;
        EXPECT_TRUE(locked(lock.get()));
        EXPECT_NE(SPORK_OK, acquire(lock, 0)) << "it is being repaired";
        EXPECT_NE(SPORK_OK, recover(lock, 0));
        EXPECT_EQ(kOk, one.does("release"));
        EXPECT_EQ(SPORK_BAD_STATE, recover(lock)) << "another was quicker";
        EXPECT_EQ(SPORK_NOT_OWNER, release(lock));
        EXPECT_EQ(SPORK_OK, acquire(lock)) << "whole again: " << spork_error();
        EXPECT_EQ(SPORK_OK, release(lock));
        EXPECT_EQ(kOk, two.does("acquire"));
        EXPECT_EQ(kOk, two.does("release"));
        EXPECT_EQ(0, one.end());
        EXPECT_EQ(0, two.end());
        if (this->HasFailure()) break;
    }
}

TYPED_TEST(Locks, OneRepairsItAndAllGoOn)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    for ([[maybe_unused]] int round : repeat(10)) {
        Actor owner(lock);
        auto others = actors(lock, 3);
        ASSERT_EQ(kOk, owner.does("acquire"));
        for (auto &other : others) {
            other->begin("get");
            other->begin("release");
        }
        owner.kill();
        int repaired = 0;
        for (auto &other : others) {
            std::string answer = other->answer();
            ASSERT_EQ(kOk, answer.substr(0, 8)) << other->sentence;
            repaired += atoi(answer.c_str() + 8);
            EXPECT_EQ(kOk, other->answer());
        }
        EXPECT_EQ(1, repaired);
        for (auto &other : others) EXPECT_EQ(0, other->end());
        if (this->HasFailure()) break;
    }
}

TYPED_TEST(Locks, WhoWaitsToRepairLearnsThatAnotherDid)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    Actor owner(lock), one(lock), two(lock);
    ASSERT_EQ(kOk, owner.does("acquire"));
    owner.kill();
    ASSERT_EQ(kOk, one.does("recover")) << one.sentence;
    two.begin("recover");
    linger();
    EXPECT_EQ(kOk, one.does("release"));
    EXPECT_EQ(kBadState, two.answer());
    EXPECT_EQ(kNotOwner, two.does("release"));
    EXPECT_EQ(0, one.end());
    EXPECT_EQ(0, two.end());
}

TYPED_TEST(Locks, WhoIsKilledWhileRepairingLeavesItToTheNext)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    Actor owner(lock);
    ASSERT_EQ(kOk, owner.does("acquire"));
    owner.kill();
    for (int i = 0; i < 3; i++) {
        Actor next(lock), other(lock);
        ASSERT_EQ(kOk, next.does("recover")) << next.sentence;
        other.begin("recover");
        linger();
        next.kill();
        EXPECT_EQ(kOk, other.answer()) << other.sentence;
        other.kill();
    }
    EXPECT_EQ(SPORK_OWNER_DIED, acquire(lock));
    EXPECT_EQ(SPORK_OK, recover(lock)) << spork_error();
    EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
    EXPECT_EQ(SPORK_OK, acquire(lock)) << spork_error();
    EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
}

TYPED_TEST(Locks, AnOwnerThatEndsBySelfHasDiedToo)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    for (const char *end : {"return 7", "exit 7", "free"}) {
        SCOPED_TRACE(end);
        Actor owner(lock), waiter(lock);
        ASSERT_EQ(kOk, owner.does("acquire"));
        waiter.begin("acquire");
        linger();
        owner.begin(end);
        if (strcmp(end, "free") == 0) { // it lives on
            EXPECT_EQ(kOk, owner.answer());
        }
        EXPECT_EQ(kDied, waiter.answer());
        EXPECT_EQ(SPORK_OWNER_DIED, acquire(lock)) << spork_error();
        EXPECT_EQ(SPORK_OK, recover(lock)) << spork_error();
        EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
        EXPECT_EQ(strcmp(end, "free") == 0 ? 0 : 7, owner.end());
        EXPECT_EQ(0, waiter.end());
    }
}

TYPED_TEST(Locks, WhoFreesWhatItHoldsHasEndedForTheOthers)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    Actor waiter(lock);
    ASSERT_EQ(SPORK_OK, acquire(lock)) << spork_error();
    waiter.begin("acquire");
    linger();
    lock.close();
    EXPECT_EQ(kDied, waiter.answer());
    EXPECT_EQ(kOk, waiter.does("recover"));
    EXPECT_EQ(kOk, waiter.does("release"));
    EXPECT_EQ(0, waiter.end());
}

TYPED_TEST(Locks, AThreadThatEndsWithItIsToldInTheLogAndCountsAsDead)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    Actor waiter(lock);
    in_a_thread([&] { EXPECT_EQ(SPORK_OK, acquire(lock)) << spork_error(); });
    EXPECT_EQ(1u, this->logged()) << this->log_text();
    EXPECT_EQ(SPORK_OWNER_DIED, acquire(lock)) << spork_error();
    EXPECT_EQ(kDied, waiter.does("acquire"));
    EXPECT_EQ(kOk, waiter.does("recover"));
    EXPECT_EQ(kOk, waiter.does("release"));
    EXPECT_EQ(kOk, waiter.does("thread acquire")); // it says so in its own log
    EXPECT_EQ(SPORK_OWNER_DIED, acquire(lock)) << spork_error();
    EXPECT_EQ(kDied, waiter.does("acquire"));
    EXPECT_EQ(SPORK_OK, recover(lock)) << spork_error();
    EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
    EXPECT_EQ(0, waiter.end());
    // One that ends while another waits for it.
    std::atomic<bool> held{false}, end{false};
    Thread owner([&] {
        EXPECT_EQ(SPORK_OK, acquire(lock)) << spork_error();
        held = true;
        until([&] { return end.load(); }, "the end");
    });
    until([&] { return held.load(); }, "the owner");
    Thread other([&] { EXPECT_EQ(SPORK_OWNER_DIED, acquire(lock, SPORK_FOREVER)) << spork_error(); });
    linger();
    end = true;
    owner.join();
    other.join();
    EXPECT_EQ(SPORK_OK, recover(lock)) << spork_error();
    EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
}

TYPED_TEST(Locks, HandedOnItIsFreeWhenItsOwnerDied)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>(SPORK_HAND_ON));
    for (const char *end : {"die", "return 0", "exit 0", "free"}) {
        SCOPED_TRACE(end);
        Actor owner(lock), waiter(lock);
        ASSERT_EQ(kOk, owner.does("acquire"));
        waiter.begin("acquire");
        linger();
        owner.begin(end);
        EXPECT_EQ(kOk, waiter.answer()) << waiter.sentence;
        EXPECT_EQ(kOk, waiter.does("release"));
        EXPECT_EQ(SPORK_BAD_STATE, recover(lock)) << "nothing is to be repaired";
        EXPECT_EQ(SPORK_OK, acquire(lock)) << spork_error();
        EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
        if (strcmp(end, "free") == 0) {
            EXPECT_EQ(kOk, owner.answer());
        }
        owner.end();
        EXPECT_EQ(0, waiter.end());
    }
    in_a_thread([&] { EXPECT_EQ(SPORK_OK, acquire(lock)) << spork_error(); });
    EXPECT_EQ(SPORK_OK, acquire(lock)) << spork_error();
    EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
}

TYPED_TEST(Locks, OneOwnerAfterTheOtherIsKilledAndNobodyHangs)
{
    for (spork_owner_death death : {SPORK_TELL, SPORK_HAND_ON}) {
        Held<typename TypeParam::type> lock(make<typename TypeParam::type>(death));
        auto owner = std::make_unique<Actor>(lock);
        ASSERT_EQ(kOk, owner->does("acquire"));
        for (int i : repeat(20)) {
            auto next = std::make_unique<Actor>(lock);
            next->begin("acquire");
            if (i % 2 == 0) linger();
            owner->kill();
            if (death == SPORK_TELL) {
                ASSERT_EQ(kDied, next->answer());
                next->begin("recover");
            }
            ASSERT_EQ(kOk, next->answer()) << next->sentence;
            owner = std::move(next);
        }
        EXPECT_EQ(kOk, owner->does("release"));
        EXPECT_EQ(SPORK_OK, acquire(lock)) << spork_error();
        EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
        EXPECT_EQ(0, owner->end());
    }
}

TYPED_TEST(Locks, AWholeLockIsNotRecovered)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    EXPECT_EQ(SPORK_BAD_STATE, recover(lock, 0));
    EXPECT_STRNE("", spork_error());
    EXPECT_EQ(SPORK_BAD_STATE, recover(lock, SPORK_FOREVER));
    EXPECT_FALSE(locked(lock.get())) << "and it is not held";
    EXPECT_EQ(SPORK_NOT_OWNER, release(lock));
    ASSERT_EQ(SPORK_OK, acquire(lock, 0)) << spork_error();
    EXPECT_EQ(SPORK_BAD_STATE, recover(lock, 0)) << "this thread has it, whole";
    in_a_thread([&] { EXPECT_NE(SPORK_OK, recover(lock, 0)); });
    EXPECT_TRUE(locked(lock.get()));
    EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
}

TYPED_TEST(Locks, TwoObjectsOfOneAreTheSameLock)
{
    Held<typename TypeParam::type> one(make<typename TypeParam::type>()), two = again(one.get()),
                                                                          other(make<typename TypeParam::type>());
    ASSERT_EQ(SPORK_OK, acquire(one)) << spork_error();
    EXPECT_TRUE(locked(two.get()));
    EXPECT_FALSE(locked(other.get()));
    in_a_thread([&] {
        EXPECT_EQ(SPORK_TIMEOUT, acquire(two, 10));
        EXPECT_EQ(SPORK_NOT_OWNER, release(two));
    });
    if (std::is_same_v<typename TypeParam::type, spork_rlock>) {
        EXPECT_EQ(SPORK_OK, acquire(two, 0)) << spork_error();
        EXPECT_EQ(SPORK_OK, release(one)) << spork_error();
        EXPECT_TRUE(locked(one.get()));
    } else {
        EXPECT_EQ(SPORK_BAD_STATE, acquire(two, kWatchdogMs)) << "it would wait for itself";
    }
    EXPECT_EQ(SPORK_OK, release(two)) << spork_error();
    EXPECT_FALSE(locked(one.get()));
}

#ifndef _WIN32
// Runs `what` in a plain fork; its exit code.
int in_a_fork(const std::function<int()> &what)
{
    int pid = spork_fork();
    if (pid == 0) {
        alarm(static_cast<unsigned>(kWatchdogMs) / 1000);
        _exit(what());
    }
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TYPED_TEST(Locks, APlainForkIsAnotherProcess)
{
    Held<typename TypeParam::type> lock(make<typename TypeParam::type>());
    ASSERT_EQ(SPORK_OK, acquire(lock)) << spork_error();
    EXPECT_EQ(0, in_a_fork([&] {
                  if (release(lock) != SPORK_NOT_OWNER) return 1;
                  if (acquire(lock, 10) != SPORK_TIMEOUT) return 2;
                  return locked(lock.get()) ? 0 : 3;
              }));
    EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
    EXPECT_EQ(0, in_a_fork([&] { return acquire(lock, kWatchdogMs) == SPORK_OK ? 0 : 1; })) << "and ends with it";
    EXPECT_EQ(SPORK_OWNER_DIED, acquire(lock)) << spork_error();
    EXPECT_EQ(SPORK_OK, recover(lock)) << spork_error();
    EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
}
#endif

TEST_F(Sync, AThreadThatHoldsALockAlreadyIsToldSo)
{
    Lock lock(spork_lock_new());
    Condition condition(spork_condition_new());
    ASSERT_EQ(SPORK_OK, acquire(lock)) << spork_error();
    ASSERT_EQ(SPORK_OK, acquire(condition)) << spork_error();
    for (int ms : {0, 10, SPORK_FOREVER}) {
        EXPECT_EQ(SPORK_BAD_STATE, acquire(lock, ms));
        EXPECT_TRUE(says("spork_lock_acquire"));
        EXPECT_EQ(SPORK_BAD_STATE, acquire(condition, ms));
    }
    EXPECT_EQ(SPORK_OK, release(lock)) << "once is enough: " << spork_error();
    EXPECT_FALSE(spork_lock_locked(lock));
    EXPECT_EQ(SPORK_OK, release(condition)) << spork_error();
}

// ---- rlock ----

TEST_F(Sync, AnRLockIsReleasedAsOftenAsItWasTaken)
{
    RLock lock(spork_rlock_new());
    Actor actor(lock);
    for (int ms : {SPORK_FOREVER, 0, 10}) ASSERT_EQ(SPORK_OK, acquire(lock, ms)) << spork_error();
    for (int i = 0; i < 3; i++) {
        EXPECT_TRUE(spork_rlock_locked(lock));
        EXPECT_EQ(kTimeout, actor.does("acquire 10"));
        in_a_thread([&] { EXPECT_EQ(SPORK_NOT_OWNER, release(lock)); });
        EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
    }
    EXPECT_FALSE(spork_rlock_locked(lock));
    EXPECT_EQ(SPORK_NOT_OWNER, release(lock));
    EXPECT_EQ(kOk, actor.does("acquire"));
    EXPECT_EQ(kOk, actor.does("acquire"));
    EXPECT_EQ(kTimeout, actor.does("thread acquire 10"));
    EXPECT_EQ(SPORK_TIMEOUT, acquire(lock, 0));
    EXPECT_EQ(kOk, actor.does("release 2"));
    EXPECT_EQ(SPORK_OK, acquire(lock, 0)) << spork_error();
    EXPECT_EQ(SPORK_OK, release(lock));
    EXPECT_EQ(0, actor.end());
}

TEST_F(Sync, AnRLockTakenThriceByOneWhoIsKilledIsRecoveredOnce)
{
    RLock lock(spork_rlock_new());
    Actor owner(lock), waiter(lock);
    for (int i = 0; i < 3; i++) ASSERT_EQ(kOk, owner.does("acquire"));
    waiter.begin("acquire");
    linger();
    owner.kill();
    EXPECT_EQ(kDied, waiter.answer());
    EXPECT_EQ(SPORK_OK, recover(lock)) << spork_error();
    EXPECT_EQ(SPORK_OK, acquire(lock, 0)) << "its owner, once more: " << spork_error();
    EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
    EXPECT_NE(kOk, waiter.does("acquire 10")) << "it is being repaired";
    EXPECT_TRUE(spork_rlock_locked(lock));
    EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
    EXPECT_FALSE(spork_rlock_locked(lock));
    EXPECT_EQ(SPORK_NOT_OWNER, release(lock));
    EXPECT_EQ(kOk, waiter.does("acquire"));
    EXPECT_EQ(kOk, waiter.does("release"));
    EXPECT_EQ(0, waiter.end());
}

// ---- semaphore ----

TEST_F(Sync, ACountIsTakenAndGivenByAnybody)
{
    Semaphore semaphore(spork_semaphore_new(3, 0));
    Actor actor(semaphore);
    EXPECT_EQ(3u, spork_semaphore_value(semaphore));
    EXPECT_EQ(SPORK_OK, spork_semaphore_acquire(semaphore, 0)) << spork_error();
    EXPECT_EQ(kOk, actor.does("acquire 0"));
    EXPECT_EQ("SPORK_OK 1", actor.does("value"));
    EXPECT_EQ(SPORK_OK, spork_semaphore_acquire(semaphore, SPORK_FOREVER)) << spork_error();
    EXPECT_EQ(SPORK_TIMEOUT, spork_semaphore_acquire(semaphore, 0));
    EXPECT_GE(ms_of([&] { EXPECT_EQ(SPORK_TIMEOUT, spork_semaphore_acquire(semaphore, 60)); }), 60);
    EXPECT_STRNE("", spork_error());
    EXPECT_EQ(kTimeout, actor.does("acquire 10"));
    EXPECT_EQ(kOk, actor.does("release 5"));
    EXPECT_EQ(5u, spork_semaphore_value(semaphore)) << "more than there ever were";
    EXPECT_EQ(0, actor.end());
    EXPECT_EQ(5u, spork_semaphore_value(semaphore));
}

TEST_F(Sync, ACountStaysAsItIsWhoeverEnds)
{
    Semaphore semaphore(spork_semaphore_new(4, 0));
    Actor killed(semaphore), ended(semaphore), freed(semaphore);
    for (Actor *actor : {&killed, &ended, &freed}) EXPECT_EQ(kOk, actor->does("acquire"));
    killed.kill();
    EXPECT_EQ(0, ended.end());
    EXPECT_EQ(kOk, freed.does("free"));
    EXPECT_EQ(1u, spork_semaphore_value(semaphore));
    EXPECT_EQ(SPORK_OK, spork_semaphore_acquire(semaphore, 0)) << spork_error();
    EXPECT_EQ(SPORK_TIMEOUT, spork_semaphore_acquire(semaphore, 300));
    EXPECT_EQ(0u, spork_semaphore_value(semaphore));
    EXPECT_EQ(0, freed.end());
}

TEST_F(Sync, ACountHasALimit)
{
    Semaphore semaphore(spork_semaphore_new(2147483647u, 0));
    EXPECT_EQ(2147483647u, spork_semaphore_value(semaphore));
    EXPECT_EQ(SPORK_TOO_LARGE, spork_semaphore_release(semaphore));
    EXPECT_STRNE("", spork_error());
    EXPECT_EQ(2147483647u, spork_semaphore_value(semaphore));
    EXPECT_EQ(SPORK_OK, spork_semaphore_acquire(semaphore, 0)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_semaphore_release(semaphore)) << spork_error();
    EXPECT_EQ(SPORK_TOO_LARGE, spork_semaphore_release(semaphore));
}

TEST_F(Sync, PermitsAreReleasedByWhoHoldsThem)
{
    Semaphore semaphore(spork_semaphore_new(1, 3)); // two are ours
    Actor actor(semaphore);
    EXPECT_EQ(1u, spork_semaphore_value(semaphore));
    EXPECT_EQ(kNotOwner, actor.does("release"));
    EXPECT_EQ(kOk, actor.does("acquire 0"));
    EXPECT_EQ(SPORK_TIMEOUT, spork_semaphore_acquire(semaphore, 10));
    EXPECT_TRUE(says(actor.name()));
    EXPECT_EQ(kTimeout, actor.does("acquire 10"));
    EXPECT_TRUE(says(name_of(spork_current_process()), actor.sentence));
    in_a_thread([&] { EXPECT_EQ(SPORK_OK, spork_semaphore_release(semaphore)) << "any thread: " << spork_error(); });
    EXPECT_EQ(SPORK_OK, spork_semaphore_release(semaphore)) << spork_error();
    EXPECT_EQ(SPORK_NOT_OWNER, spork_semaphore_release(semaphore));
    EXPECT_STRNE("", spork_error());
    EXPECT_EQ(2u, spork_semaphore_value(semaphore));
    EXPECT_EQ(kOk, actor.does("thread release"));
    EXPECT_EQ(kNotOwner, actor.does("release"));
    EXPECT_EQ(3u, spork_semaphore_value(semaphore));
    for (int i = 0; i < 3; i++) EXPECT_EQ(SPORK_OK, spork_semaphore_acquire(semaphore, 0)) << spork_error();
    EXPECT_EQ(SPORK_TIMEOUT, spork_semaphore_acquire(semaphore, 0));
    EXPECT_EQ(kNotOwner, actor.does("release"));
    for (int i = 0; i < 3; i++) EXPECT_EQ(SPORK_OK, spork_semaphore_release(semaphore)) << spork_error();
    EXPECT_EQ(SPORK_NOT_OWNER, spork_semaphore_release(semaphore));
    EXPECT_EQ(3u, spork_semaphore_value(semaphore));
    EXPECT_EQ(0, actor.end());
}

TEST_F(Sync, PermitsOfWhoeverEndsComeBack)
{
    for (const char *end : {"die", "return 0", "exit 0", "free"}) {
        SCOPED_TRACE(end);
        Semaphore semaphore(spork_semaphore_new(3, 3));
        Actor holder(semaphore), waiter(semaphore);
        for (int i = 0; i < 3; i++) ASSERT_EQ(kOk, holder.does("acquire"));
        EXPECT_EQ(0u, spork_semaphore_value(semaphore));
        waiter.begin("acquire -1");
        until_awaited(semaphore);
        holder.begin(end);
        EXPECT_EQ(kOk, waiter.answer()) << waiter.sentence;
        for (int i = 0; i < 2; i++)
            EXPECT_EQ(SPORK_OK, spork_semaphore_acquire(semaphore, kWatchdogMs)) << spork_error();
        EXPECT_EQ(SPORK_TIMEOUT, spork_semaphore_acquire(semaphore, 150)) << "no more than it held";
        EXPECT_TRUE(says(waiter.name()));
        if (strcmp(end, "free") == 0) {
            EXPECT_EQ(kOk, holder.answer());
        }
        holder.end();
        EXPECT_EQ(kOk, waiter.does("release"));
        EXPECT_EQ(0, waiter.end());
    }
}

TEST_F(Sync, PermitsThatTheMakerHoldsComeBackWhenItFreesIt)
{
    Semaphore semaphore(spork_semaphore_new(0, 2)), again_ours = again(semaphore.get());
    Actor waiter(semaphore);
    EXPECT_EQ(kTimeout, waiter.does("acquire 0"));
    semaphore.close();
    EXPECT_EQ(kTimeout, waiter.does("acquire 150")) << "there is another object of it";
    EXPECT_EQ(SPORK_OK, spork_semaphore_release(again_ours)) << spork_error();
    EXPECT_EQ(kOk, waiter.does("acquire"));
    waiter.begin("acquire");
    until_awaited(again_ours);
    again_ours.close();
    EXPECT_EQ(kOk, waiter.answer()) << waiter.sentence;
    EXPECT_EQ(kTimeout, waiter.does("acquire 50"));
    EXPECT_EQ(0, waiter.end());
}

TEST_F(Sync, OfWhoWaitsForAPermitAKilledOneIsNotCounted)
{
    for (int round : repeat(20)) {
        Semaphore semaphore(spork_semaphore_new(0, 1));
        Actor victim(semaphore), other(semaphore);
        victim.begin("acquire");
        until_awaited(semaphore);
        other.begin("acquire");
        linger();
        if (round % 2 == 0) victim.kill();
        EXPECT_EQ(SPORK_OK, spork_semaphore_release(semaphore)) << spork_error();
        if (round % 2 == 1) victim.strike();
        ASSERT_EQ(kOk, other.answer()) << other.sentence;
        EXPECT_EQ(0, other.end());
    }
}

TEST_F(Sync, OfWhoWaitsForACountAKilledOneIsNotCounted)
{
    for (int round : repeat(10)) {
        Semaphore semaphore(spork_semaphore_new(0, 0));
        Actor victim(semaphore), other(semaphore);
        victim.begin("acquire");
        until_awaited(semaphore);
        if (round % 2 == 0) other.begin("acquire");
        linger();
        victim.kill();
        if (round % 2 == 1) other.begin("acquire");
        EXPECT_EQ(SPORK_OK, spork_semaphore_release(semaphore)) << spork_error();
        ASSERT_EQ(kOk, other.answer()) << other.sentence;
        EXPECT_EQ(0u, spork_semaphore_value(semaphore));
        EXPECT_EQ(0, other.end());
    }
}

TEST_F(Sync, EachReleaseLetsOneIn)
{
    for (unsigned max : {0u, 4u}) {
        Semaphore semaphore(spork_semaphore_new(0, max));
        auto waiting = actors(semaphore, 4);
        for (auto &actor : waiting) actor->begin("acquire");
        until_awaited(semaphore);
        for (int i = 0; i < 4; i++) EXPECT_EQ(SPORK_OK, spork_semaphore_release(semaphore)) << spork_error();
        for (auto &actor : waiting) EXPECT_EQ(kOk, actor->answer()) << actor->sentence;
        EXPECT_EQ(0u, spork_semaphore_value(semaphore));
        for (auto &actor : waiting) EXPECT_EQ(0, actor->end());
    }
}

TEST_F(Sync, NoMoreAreInsideThanThereArePermits)
{
    for (unsigned max : {0u, 2u}) {
        Semaphore semaphore(spork_semaphore_new(2, max));
        Board board;
        const int rounds = harness_count(2000);
        std::vector<std::unique_ptr<Child>> children;
        for (int i = 0; i < 3; i++) {
            children.push_back(std::make_unique<Child>(syncs_enter, spork_pack(semaphore.get(), board.give(), rounds)));
            ASSERT_EQ(SPORK_OK, children.back()->start()) << spork_error();
        }
        {
            Thread one([&] { EXPECT_EQ(0, syncs_enter_here(semaphore, board.get(), rounds)); });
            Thread two([&] { EXPECT_EQ(0, syncs_enter_here(semaphore, board.get(), rounds)); });
        }
        for (auto &child : children) EXPECT_EQ(0, child->join());
        EXPECT_LE(board->most, 2);
        EXPECT_GE(board->most, 1);
        EXPECT_EQ(2u, spork_semaphore_value(semaphore));
    }
}

TEST_F(Sync, ASemaphoreThatCannotBeIsRefused)
{
    for (auto [initial, max] : {std::pair<unsigned, unsigned>{4, 3}, {2147483648u, 0}, {0, 2147483648u}, {~0u, ~0u}}) {
        EXPECT_EQ(nullptr, spork_semaphore_new(initial, max)) << initial << " of " << max;
        EXPECT_EQ(SPORK_INVALID, spork_last_status());
        EXPECT_TRUE(says("spork_semaphore_new"));
    }
    for (auto [initial, max] : {std::pair<unsigned, unsigned>{0, 0}, {3, 3}, {0, 1}, {2147483647u, 2147483647u}}) {
        Semaphore semaphore(spork_semaphore_new(initial, max));
        EXPECT_EQ(initial, spork_semaphore_value(semaphore));
    }
}

// ---- event ----

TEST_F(Sync, AnEventIsSetAndCleared)
{
    Event event(spork_event_new());
    Actor actor(event);
    EXPECT_FALSE(spork_event_is_set(event));
    EXPECT_EQ(SPORK_TIMEOUT, spork_event_wait(event, 0));
    EXPECT_GE(ms_of([&] { EXPECT_EQ(SPORK_TIMEOUT, spork_event_wait(event, 60)); }), 60);
    EXPECT_STRNE("", spork_error());
    EXPECT_EQ(kOk, actor.does("set"));
    for (int ms : {0, 10, SPORK_FOREVER}) EXPECT_EQ(SPORK_OK, spork_event_wait(event, ms)) << spork_error();
    EXPECT_TRUE(spork_event_is_set(event));
    EXPECT_EQ(SPORK_OK, spork_event_set(event)) << "again";
    EXPECT_EQ("SPORK_OK 1", actor.does("is"));
    EXPECT_EQ(SPORK_OK, spork_event_clear(event));
    EXPECT_EQ(SPORK_OK, spork_event_clear(event)) << "again";
    EXPECT_EQ("SPORK_OK 0", actor.does("is"));
    EXPECT_EQ(kTimeout, actor.does("wait 10"));
    EXPECT_EQ(SPORK_OK, spork_event_set(event));
    actor.kill();
    EXPECT_TRUE(spork_event_is_set(event)) << "whoever dies";
}

// Who woke by itself just when it was rung for has announced itself once more: what it left is not
// the next one's.
void forget_who_waited(spork_event *event)
{
    ASSERT_EQ(SPORK_OK, spork_event_set(event));
    ASSERT_EQ(SPORK_OK, spork_event_clear(event));
}

TEST_F(Sync, APulseWakesWhoWaits)
{
    Event event(spork_event_new());
    Actor actor(event), pulser(event);
    for (int round : repeat(300)) {
        forget_who_waited(event);
        actor.begin("wait");
        until_awaited(event);
        if (round % 2 == 0) {
            ASSERT_EQ(SPORK_OK, spork_event_set(event));
            ASSERT_EQ(SPORK_OK, spork_event_clear(event));
        } else {
            ASSERT_EQ(kOk, pulser.does("pulse"));
        }
        ASSERT_EQ(kOk, actor.answer()) << "round " << round << ": " << actor.sentence;
        ASSERT_FALSE(spork_event_is_set(event));
        ASSERT_EQ(SPORK_TIMEOUT, spork_event_wait(event, 0));
    }
    EXPECT_EQ(0, actor.end());
    EXPECT_EQ(0, pulser.end());
}

TEST_F(Sync, APulseWakesAThread)
{
    Event event(spork_event_new());
    for ([[maybe_unused]] int round : repeat(300)) {
        forget_who_waited(event);
        Thread thread([&] { EXPECT_EQ(SPORK_OK, spork_event_wait(event, SPORK_FOREVER)) << spork_error(); });
        until_awaited(event);
        ASSERT_EQ(SPORK_OK, spork_event_set(event));
        ASSERT_EQ(SPORK_OK, spork_event_clear(event));
    }
}

// Nothing tells that all six are asleep: one may come a little late, and get on by the next pulse. One at a time
// would need six.
TEST_F(Sync, APulseWakesAllWhoWait)
{
    Event event(spork_event_new());
    auto waiting = actors(event, 3);
    std::atomic<int> awake{0};
    std::vector<std::unique_ptr<Thread>> threads;
    for (int i = 0; i < 3; i++)
        threads.push_back(std::make_unique<Thread>([&] {
            EXPECT_EQ(SPORK_OK, spork_event_wait(event, SPORK_FOREVER)) << spork_error();
            awake++;
        }));
    for (auto &actor : waiting)
        threads.push_back(std::make_unique<Thread>([&] {
            EXPECT_EQ(kOk, actor->does("wait")) << actor->sentence;
            awake++;
        }));
    until_awaited(event);
    int pulses = 0;
    for (; awake < 6 && pulses < 20; pulses++) {
        spork_sleep(100);
        EXPECT_EQ(SPORK_OK, spork_event_set(event));
        EXPECT_EQ(SPORK_OK, spork_event_clear(event));
        for (int i = 0; i < 50 && awake < 6; i++) spork_sleep(10);
    }
    EXPECT_EQ(6, awake);
    EXPECT_LE(pulses, 5);
    EXPECT_EQ(SPORK_OK, spork_event_set(event));
    threads.clear();
    for (auto &actor : waiting) EXPECT_EQ(0, actor->end());
}

TEST_F(Sync, WhoIsKilledWaitingForAnEventHurtsNobody)
{
    Event event(spork_event_new());
    for ([[maybe_unused]] int round : repeat(10)) {
        auto waiting = actors(event, 4);
        for (auto &actor : waiting) actor->begin("wait");
        until_awaited(event);
        linger();
        waiting[0]->kill();
        waiting[2]->strike();
        ASSERT_EQ(SPORK_OK, spork_event_set(event)) << spork_error();
        for (size_t i : {size_t{1}, size_t{3}}) {
            EXPECT_EQ(kOk, waiting[i]->answer()) << waiting[i]->sentence;
            EXPECT_EQ(0, waiting[i]->end());
        }
        ASSERT_EQ(SPORK_OK, spork_event_clear(event)) << spork_error();
        ASSERT_EQ(SPORK_TIMEOUT, spork_event_wait(event, 0));
        if (HasFailure()) break;
    }
}

#ifndef _WIN32
spork_event *signalled;

TEST_F(Sync, ASignalsHandlerSetsAnEvent)
{
    Event event(spork_event_new());
    Actor actor(event);
    actor.begin("wait");
    until_awaited(event);
    signalled = event;
    auto before = signal(SIGUSR1, [](int) { spork_event_set(signalled); });
    raise(SIGUSR1);
    EXPECT_TRUE(spork_event_is_set(event));
    EXPECT_EQ(kOk, actor.answer()) << actor.sentence;
    // The one that waits itself.
    EXPECT_EQ(SPORK_OK, spork_event_clear(event));
    pthread_t self = pthread_self();
    Thread thread([&] {
        until_awaited(event);
        pthread_kill(self, SIGUSR1);
    });
    EXPECT_EQ(SPORK_OK, spork_event_wait(event, kWatchdogMs)) << spork_error();
    thread.join();
    signal(SIGUSR1, before);
    EXPECT_EQ(0, actor.end());
}

TEST_F(Sync, ASignalsHandlerMayInterruptWhateverUsesTheSameEvent)
{
    Event event(spork_event_new());
    Child child(syncs_signals, spork_pack(event.get()));
    EXPECT_EQ(0, child.run());
}
#endif

TEST_F(Sync, AnEventIsWaitedForWithOtherThings)
{
    Event event(spork_event_new());
    spork_queue *queue = spork_queue_new(0, 0);
    Actor actor(event);
    Child sleeper(target_sleep, SPORK_NO_ARGS);
    ASSERT_EQ(SPORK_OK, sleeper.start()) << spork_error();
    spork_wait_item items[] = {spork_on(sleeper.get()), spork_on(queue), spork_on(event.get())};
    EXPECT_EQ(SPORK_TIMEOUT, spork_wait(items, 3, 0));
    EXPECT_EQ(SPORK_TIMEOUT, spork_wait(items, 3, 30));
    auto expect_ready = [&](size_t which) {
        EXPECT_EQ(SPORK_OK, spork_wait(items, 3, kWatchdogMs)) << spork_error();
        for (size_t i = 0; i < 3; i++) EXPECT_EQ(i == which, items[i].ready) << i;
    };
    for (int i = 0; i < 5; i++) {
        Thread thread([&] {
            until_awaited(event);
            EXPECT_EQ(kOk, actor.does("set"));
        });
        expect_ready(2);
        thread.join();
        expect_ready(2); // it stays so
        EXPECT_EQ(SPORK_OK, spork_event_clear(event));
        EXPECT_EQ(SPORK_TIMEOUT, spork_wait(items, 3, 0));
    }
    EXPECT_EQ(SPORK_OK, spork_queue_put(queue, spork_pack(1), 0));
    expect_ready(1);
    spork_args *message = nullptr;
    EXPECT_EQ(SPORK_OK, spork_queue_get(queue, &message, 0));
    spork_args_free(message);
    EXPECT_EQ(SPORK_OK, spork_process_kill(sleeper.get()));
    expect_ready(0);
    EXPECT_EQ(SPORK_OK, spork_event_set(event));
    EXPECT_EQ(SPORK_OK, spork_queue_put(queue, spork_pack(1), 0));
    EXPECT_EQ(SPORK_OK, spork_wait(items, 3, 0));
    for (auto &item : items) EXPECT_TRUE(item.ready);
    spork_queue_free(queue);
    EXPECT_EQ(0, actor.end());
}

TEST_F(Sync, AnArmedEventWakesForeignLoops)
{
    Event event(spork_event_new());
    Actor actor(event);
    for (int i = 0; i < 5; i++) {
        spork_native handle = -1;
        ASSERT_EQ(SPORK_OK, spork_arm(spork_on(event.get()), &handle)) << spork_error();
        ASSERT_NE(-1, handle);
        spork_wait_item native = spork_on_native(handle, SPORK_READ);
        EXPECT_EQ(SPORK_TIMEOUT, spork_wait(&native, 1, 0)) << "it is quiet";
        actor.begin("set");
        EXPECT_EQ(SPORK_OK, spork_wait(&native, 1, kWatchdogMs)) << spork_error();
        EXPECT_EQ(kOk, actor.answer());
        EXPECT_EQ(SPORK_READY, spork_arm(spork_on(event.get()), &handle));
        EXPECT_EQ(-1, handle);
        EXPECT_EQ(SPORK_OK, spork_event_clear(event));
    }
    EXPECT_EQ(0, actor.end());
}

TEST_F(Sync, AnEventIsNothingToWriteTo)
{
    Event event(spork_event_new());
    EXPECT_EQ(SPORK_OK, spork_event_set(event));
    spork_wait_item item = spork_on(event.get());
    item.events = SPORK_WRITE;
    EXPECT_NE(SPORK_OK, spork_wait(&item, 1, 0));
    EXPECT_FALSE(item.ready);
    item = spork_on(static_cast<spork_event *>(nullptr));
    EXPECT_EQ(SPORK_INVALID, spork_wait(&item, 1, 0));
}

// ---- condition ----

TEST_F(Sync, AConditionNeedsItsLock)
{
    Condition condition(spork_condition_new());
    Actor actor(condition);
    auto always = [](void *) { return true; };
    auto expect_refused = [&](const std::string &part) {
        EXPECT_EQ(SPORK_NOT_OWNER, spork_condition_wait(condition, 0));
        EXPECT_TRUE(says(part));
        EXPECT_EQ(SPORK_NOT_OWNER, spork_condition_wait(condition, SPORK_FOREVER));
        EXPECT_EQ(SPORK_NOT_OWNER, spork_condition_wait_for(condition, always, nullptr, 0));
        EXPECT_EQ(SPORK_NOT_OWNER, spork_condition_notify(condition, 1));
        EXPECT_TRUE(says(part));
        EXPECT_EQ(SPORK_NOT_OWNER, spork_condition_notify_all(condition));
        EXPECT_EQ(SPORK_NOT_OWNER, spork_condition_release(condition));
    };
    expect_refused("spork_condition_");
    ASSERT_EQ(kOk, actor.does("acquire"));
    expect_refused(actor.name());
    EXPECT_EQ(kNotOwner, actor.does("thread wait"));
    EXPECT_EQ(kOk, actor.does("release"));
    ASSERT_EQ(SPORK_OK, acquire(condition)) << spork_error();
    EXPECT_EQ(kNotOwner, actor.does("notify 1"));
    EXPECT_EQ(kNotOwner, actor.does("wait"));
    in_a_thread([&] { expect_refused(kAnotherThread); });
    EXPECT_EQ(SPORK_OK, release(condition)) << spork_error();
    EXPECT_EQ(0, actor.end());
}

TEST_F(Sync, AfterItsTimeoutAWaitHoldsTheLockAgain)
{
    Condition condition(spork_condition_new());
    ASSERT_EQ(SPORK_OK, acquire(condition)) << spork_error();
    EXPECT_EQ(SPORK_TIMEOUT, spork_condition_wait(condition, 0));
    EXPECT_TRUE(locked(condition.get()));
    EXPECT_GE(ms_of([&] { EXPECT_EQ(SPORK_TIMEOUT, spork_condition_wait(condition, 60)); }), 60);
    EXPECT_STRNE("", spork_error());
    EXPECT_TRUE(locked(condition.get()));
    EXPECT_EQ(0u, spork__condition_waiting(condition)) << "it waits no more";
    EXPECT_EQ(SPORK_OK, spork_condition_notify(condition, 1)) << "nobody waits, and nothing is kept for later";
    EXPECT_EQ(SPORK_OK, spork_condition_notify_all(condition));
    EXPECT_EQ(SPORK_TIMEOUT, spork_condition_wait(condition, 20));
    EXPECT_EQ(SPORK_OK, release(condition)) << spork_error();
    EXPECT_EQ(SPORK_NOT_OWNER, release(condition)) << "it was taken once only";
}

TEST_F(Sync, AWaitLastsBeyondItsTimeoutWhileAnotherHoldsTheLock)
{
    Condition condition(spork_condition_new());
    Actor actor(condition);
    ASSERT_EQ(kOk, actor.does("acquire"));
    actor.begin("wait 500");
    until_waiting(condition, 1);
    ASSERT_EQ(SPORK_OK, acquire(condition)) << "a waiter gives it up: " << spork_error();
    std::atomic<bool> answered{false};
    Thread thread([&] {
        EXPECT_EQ(kTimeout, actor.answer());
        answered = true;
    });
    spork_sleep(800);
    EXPECT_FALSE(answered);
    EXPECT_EQ(SPORK_OK, release(condition)) << spork_error();
    thread.join();
    EXPECT_EQ(SPORK_TIMEOUT, acquire(condition, 10)) << "it holds it";
    EXPECT_TRUE(says(actor.name()));
    EXPECT_EQ(kOk, actor.does("release"));
    EXPECT_EQ(0, actor.end());
}

TEST_F(Sync, WhoHasWaitedLongestIsNotifiedFirst)
{
    Condition condition(spork_condition_new());
    auto waiting = actors(condition, 4);
    for (unsigned i = 0; i < 4; i++) {
        ASSERT_EQ(kOk, waiting[i]->does("acquire"));
        waiting[i]->begin("wait");
        until_waiting(condition, i + 1);
    }
    for (unsigned i = 0; i < 4; i++) {
        ASSERT_EQ(SPORK_OK, acquire(condition)) << spork_error();
        ASSERT_EQ(SPORK_OK, spork_condition_notify(condition, 1)) << spork_error();
        EXPECT_EQ(3 - i, spork__condition_waiting(condition));
        ASSERT_EQ(SPORK_OK, release(condition)) << spork_error();
        EXPECT_EQ(kOk, waiting[i]->answer()) << i << ": " << waiting[i]->sentence;
        EXPECT_EQ(SPORK_TIMEOUT, acquire(condition, 0)) << "it holds the lock";
        EXPECT_EQ(kOk, waiting[i]->does("release"));
    }
    for (auto &actor : waiting) EXPECT_EQ(0, actor->end());
}

TEST_F(Sync, NotifyWakesAsManyAsItSays)
{
    Condition condition(spork_condition_new());
    std::atomic<unsigned> awake{0};
    std::vector<std::unique_ptr<Thread>> threads;
    auto add = [&] {
        threads.push_back(std::make_unique<Thread>([&] {
            ASSERT_EQ(SPORK_OK, acquire(condition)) << spork_error();
            EXPECT_EQ(SPORK_OK, spork_condition_wait(condition, kWatchdogMs)) << spork_error();
            awake++;
            EXPECT_EQ(SPORK_OK, release(condition)) << spork_error();
        }));
    };
    for (int round : repeat(50)) {
        awake = 0;
        for (int i = 0; i < 5; i++) add();
        until_waiting(condition, 5);
        unsigned left = 5;
        for (unsigned n : {0u, 1u, 2u, 100u}) {
            ASSERT_EQ(SPORK_OK, acquire(condition)) << spork_error();
            ASSERT_EQ(SPORK_OK, n == 100 && round % 2 == 0 ? spork_condition_notify_all(condition)
                                                           : spork_condition_notify(condition, n))
                << spork_error();
            ASSERT_EQ(SPORK_OK, release(condition)) << spork_error();
            left -= std::min(left, n);
            until([&] { return awake == 5 - left; }, "so many are not awake");
            EXPECT_EQ(left, spork__condition_waiting(condition));
        }
        threads.clear();
        EXPECT_EQ(5u, awake);
        if (HasFailure()) break;
    }
}

TEST_F(Sync, NotifyAllWakesThoseOfAllProcesses)
{
    Condition condition(spork_condition_new());
    auto waiting = actors(condition, 4);
    for ([[maybe_unused]] int round : repeat(30)) {
        for (auto &actor : waiting) {
            actor->begin("acquire");
            actor->begin("wait");
            actor->begin("release");
        }
        until_waiting(condition, 4);
        ASSERT_EQ(SPORK_OK, acquire(condition)) << spork_error();
        ASSERT_EQ(SPORK_OK, spork_condition_notify_all(condition)) << spork_error();
        ASSERT_EQ(SPORK_OK, release(condition)) << spork_error();
        for (auto &actor : waiting)
            for (int i = 0; i < 3; i++) ASSERT_EQ(kOk, actor->answer()) << i << ": " << actor->sentence;
    }
    for (auto &actor : waiting) EXPECT_EQ(0, actor->end());
}

TEST_F(Sync, OfSixWhoWaitTwoAreKilledAndNotifyTwoWakesTwoOfTheLiving)
{
    Condition condition(spork_condition_new());
    for (int round : repeat(12)) {
        SCOPED_TRACE(round);
        auto waiting = actors(condition, 6);
        for (unsigned i = 0; i < 6; i++) {
            ASSERT_EQ(kOk, waiting[i]->does("acquire")) << waiting[i]->sentence;
            waiting[i]->begin("wait");
            until_waiting(condition, i + 1);
        }
        std::vector<Actor *> living;
        for (auto &actor : waiting) living.push_back(actor.get());
        for (unsigned victim : {static_cast<unsigned>(round) % 6,
                                static_cast<unsigned>(round) % 5}) { // 0 and 0 are the two oldest
            auto at = living.begin() + static_cast<long>(victim % living.size());
            (*at)->kill();
            living.erase(at);
        }
        ASSERT_EQ(SPORK_OK, acquire(condition)) << spork_error();
        ASSERT_EQ(SPORK_OK, spork_condition_notify(condition, 2)) << spork_error();
        ASSERT_EQ(SPORK_OK, release(condition)) << spork_error();
        for (int i = 0; i < 2; i++) living[static_cast<size_t>(i)]->begin("release");
        for (int i = 0; i < 2; i++) {
            EXPECT_EQ(kOk, living[static_cast<size_t>(i)]->answer()) << i;
            EXPECT_EQ(kOk, living[static_cast<size_t>(i)]->answer()) << i;
        }
        EXPECT_EQ(2u, spork__condition_waiting(condition)) << "no more than two";
        ASSERT_EQ(SPORK_OK, acquire(condition)) << spork_error();
        ASSERT_EQ(SPORK_OK, spork_condition_notify_all(condition)) << spork_error();
        ASSERT_EQ(SPORK_OK, release(condition)) << spork_error();
        for (int i = 2; i < 4; i++) living[static_cast<size_t>(i)]->begin("release");
        for (int i = 2; i < 4; i++) {
            EXPECT_EQ(kOk, living[static_cast<size_t>(i)]->answer()) << i;
            EXPECT_EQ(kOk, living[static_cast<size_t>(i)]->answer()) << i;
        }
        for (Actor *actor : living) EXPECT_EQ(0, actor->end());
        EXPECT_EQ(0u, spork__condition_waiting(condition));
        if (HasFailure()) break;
    }
}

// The lock is held, so that the one who was notified cannot have got to know.
TEST_F(Sync, ANotificationOfOneWhoIsKilledGoesToTheNext)
{
    for (int round : repeat(12)) {
        Condition condition(
            spork_condition_new()); // of its own: those who are killed last are counted until somebody notices
        Actor first(condition), second(condition), third(condition);
        unsigned count = 0;
        for (Actor *actor : {&first, &second, &third}) {
            ASSERT_EQ(kOk, actor->does("acquire")) << actor->sentence;
            actor->begin("wait");
            until_waiting(condition, ++count);
        }
        ASSERT_EQ(SPORK_OK, acquire(condition)) << spork_error();
        ASSERT_EQ(SPORK_OK, spork_condition_notify(condition, 1)) << spork_error();
        if (round % 2 == 0) linger();
        first.kill();
        ASSERT_EQ(SPORK_OK, release(condition)) << spork_error();
        ASSERT_EQ(kOk, second.answer()) << second.sentence;
        ASSERT_EQ(kOk, second.does("release"));
        EXPECT_EQ(1u, spork__condition_waiting(condition)) << "and not to both";
        third.kill();
        EXPECT_EQ(0, second.end());
    }
}

TEST_F(Sync, WhoIsNotifiedByOneWhoDiesWithTheLockLearnsThat)
{
    Condition condition(spork_condition_new());
    Actor owner(condition), one(condition), two(condition);
    for (Actor *actor : {&one, &two}) {
        ASSERT_EQ(kOk, actor->does("acquire"));
        actor->begin("wait");
    }
    until_waiting(condition, 2);
    ASSERT_EQ(kOk, owner.does("acquire"));
    ASSERT_EQ(kOk, owner.does("notify 2"));
    owner.kill();
    for (Actor *actor : {&one, &two}) {
        EXPECT_EQ(kDied, actor->answer());
        EXPECT_TRUE(says(owner.name(), actor->sentence));
        EXPECT_EQ(kNotOwner, actor->does("release")) << "not held";
        EXPECT_EQ(kNotOwner, actor->does("wait"));
    }
    EXPECT_EQ(kOk, one.does("recover"));
    EXPECT_EQ(kTimeout, one.does("wait 10"));
    EXPECT_EQ(kOk, one.does("release"));
    EXPECT_EQ(kBadState, two.does("recover"));
    EXPECT_EQ(kOk, two.does("acquire"));
    EXPECT_EQ(kOk, two.does("release"));
    EXPECT_EQ(0, one.end());
    EXPECT_EQ(0, two.end());
}

// Whether it is told at once, or when it would take the lock again: it does not hang, and does not hold it.
TEST_F(Sync, WhoWaitsWhileTheOwnerIsKilledGetsOn)
{
    Condition condition(spork_condition_new());
    Actor owner(condition), brief(condition), patient(condition);
    ASSERT_EQ(kOk, patient.does("acquire"));
    patient.begin("wait");
    until_waiting(condition, 1);
    ASSERT_EQ(kOk, brief.does("acquire"));
    brief.begin("wait 2000");
    until_waiting(condition, 2);
    ASSERT_EQ(kOk, owner.does("acquire"));
    owner.kill();
    EXPECT_EQ(kDied, brief.answer());
    EXPECT_EQ(kNotOwner, brief.does("release"));
    ASSERT_EQ(SPORK_OK, recover(condition)) << spork_error();
    ASSERT_EQ(SPORK_OK, spork_condition_notify_all(condition)) << spork_error();
    ASSERT_EQ(SPORK_OK, release(condition)) << spork_error();
    std::string status = patient.answer();
    EXPECT_TRUE(status == kOk || status == kDied) << status << " " << patient.sentence;
    EXPECT_EQ(status == kOk ? kOk : kNotOwner, patient.does("release"));
    EXPECT_EQ(kOk, brief.does("acquire"));
    EXPECT_EQ(kOk, brief.does("release"));
    EXPECT_EQ(0, brief.end());
    EXPECT_EQ(0, patient.end());
}

TEST_F(Sync, WaitForAsksWithTheLockHeld)
{
    Condition condition(spork_condition_new());
    Actor actor(condition);
    ASSERT_EQ(kOk, actor.does("acquire"));
    EXPECT_EQ("SPORK_OK 1", actor.does("waitfor 1 0")) << "first at once";
    EXPECT_EQ("SPORK_OK 1", actor.does("waitfor 1 -1"));
    EXPECT_EQ(kTimeout, actor.does("waitfor 100 60").substr(0, 13));
    EXPECT_EQ(SPORK_TIMEOUT, acquire(condition, 0)) << "it holds it again";
    actor.begin("waitfor 3");
    for (int i = 0; i < 2; i++) {
        until_waiting(condition, 1);
        ASSERT_EQ(SPORK_OK, acquire(condition)) << spork_error();
        ASSERT_EQ(SPORK_OK, spork_condition_notify(condition, 1)) << spork_error();
        ASSERT_EQ(SPORK_OK, release(condition)) << spork_error();
    }
    EXPECT_EQ("SPORK_OK 3", actor.answer()) << actor.sentence;
    EXPECT_EQ(kOk, actor.does("release"));
    EXPECT_EQ(0, actor.end());
    ASSERT_EQ(SPORK_OK, acquire(condition)) << spork_error();
    auto held = [](void *user) {
        EXPECT_TRUE(locked(static_cast<spork_condition *>(user)));
        return false;
    };
    EXPECT_GE(ms_of([&] { EXPECT_EQ(SPORK_TIMEOUT, spork_condition_wait_for(condition, held, condition.get(), 60)); }),
              60);
    EXPECT_EQ(SPORK_INVALID, spork_condition_wait_for(condition, nullptr, nullptr, 0));
    EXPECT_TRUE(locked(condition.get()));
    EXPECT_EQ(SPORK_OK, release(condition)) << spork_error();
}

TEST_F(Sync, WaitForSeesWhatOthersDo)
{
    Condition condition(spork_condition_new());
    int work = 0;
    const int rounds = harness_count(1000);
    Thread worker([&] {
        for (int i = 0; i < rounds; i++) {
            ASSERT_EQ(SPORK_OK, acquire(condition)) << spork_error();
            ASSERT_EQ(SPORK_OK,
                      spork_condition_wait_for(
                          condition, [](void *user) { return *static_cast<int *>(user) > 0; }, &work, kWatchdogMs))
                << spork_error();
            work--;
            ASSERT_EQ(SPORK_OK, spork_condition_notify_all(condition));
            ASSERT_EQ(SPORK_OK, release(condition)) << spork_error();
        }
    });
    for (int i = 0; i < rounds; i++) {
        ASSERT_EQ(SPORK_OK, acquire(condition)) << spork_error();
        while (work == 2) {
            ASSERT_EQ(SPORK_OK, spork_condition_wait(condition, kWatchdogMs)) << spork_error();
        }
        work++;
        ASSERT_EQ(SPORK_OK, spork_condition_notify_all(condition));
        ASSERT_EQ(SPORK_OK, release(condition)) << spork_error();
    }
    worker.join();
    EXPECT_EQ(0, work);
}

// ---- barrier ----

TEST_F(Sync, ABarrierOfNobodyIsRefused)
{
    EXPECT_EQ(nullptr, spork_barrier_new(0));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    EXPECT_TRUE(says("spork_barrier_new"));
}

TEST_F(Sync, ABarrierOfOneIsPassedAtOnce)
{
    Barrier barrier(spork_barrier_new(1));
    int ran = 0;
    auto count = [](void *user) { return ++*static_cast<int *>(user) * 0; };
    EXPECT_EQ(1u, spork_barrier_parties(barrier));
    for (int i = 0; i < 3; i++) {
        unsigned index = 77;
        EXPECT_EQ(SPORK_OK, spork_barrier_wait(barrier, &index, 0)) << spork_error();
        EXPECT_EQ(0u, index);
        EXPECT_EQ(SPORK_OK, spork_barrier_wait_then(barrier, count, &ran, nullptr, 0)) << spork_error();
        EXPECT_EQ(i + 1, ran);
        EXPECT_EQ(SPORK_OK, spork_barrier_wait(barrier, nullptr, SPORK_FOREVER)) << spork_error();
    }
    EXPECT_FALSE(spork_barrier_broken(barrier));
    EXPECT_EQ(0u, spork_barrier_waiting(barrier));
}

TEST_F(Sync, WhoArrivesIsNumbered)
{
    Barrier barrier(spork_barrier_new(4));
    auto others = actors(barrier, 3);
    EXPECT_EQ("SPORK_OK 4", others[0]->does("parties"));
    for ([[maybe_unused]] int round : repeat(20)) {
        for (unsigned i = 0; i < 3; i++) {
            others[i]->begin("wait");
            until_waiting(barrier, i + 1);
        }
        unsigned index = 77;
        EXPECT_EQ(SPORK_OK, spork_barrier_wait(barrier, &index, 0)) << "all are there: " << spork_error();
        EXPECT_EQ(3u, index);
        for (unsigned i = 0; i < 3; i++)
            ASSERT_EQ("SPORK_OK " + std::to_string(i), others[i]->answer()) << others[i]->sentence;
        EXPECT_EQ(0u, spork_barrier_waiting(barrier));
    }
    for (auto &other : others) EXPECT_EQ(0, other->end());
}

TEST_F(Sync, ThreadsMarchInLockstep)
{
    Barrier barrier(spork_barrier_new(5));
    Board board;
    const int rounds = harness_count(2000);
    {
        std::vector<std::unique_ptr<Thread>> threads;
        for (int who = 0; who < 5; who++)
            threads.push_back(std::make_unique<Thread>(
                [&, who] { EXPECT_EQ(0, syncs_march_here(barrier, board.get(), who, 5, rounds)); }));
    }
    EXPECT_EQ(rounds, board->actions);
    EXPECT_FALSE(spork_barrier_broken(barrier));
}

TEST_F(Sync, ProcessesAndThreadsMarchInLockstep)
{
    Barrier barrier(spork_barrier_new(5));
    Board board;
    const int rounds = harness_count(1000);
    std::vector<std::unique_ptr<Child>> children;
    for (int who = 0; who < 3; who++) {
        children.push_back(
            std::make_unique<Child>(syncs_march, spork_pack(barrier.get(), board.give(), who, 5, rounds)));
        ASSERT_EQ(SPORK_OK, children.back()->start()) << spork_error();
    }
    {
        Thread one([&] { EXPECT_EQ(0, syncs_march_here(barrier, board.get(), 3, 5, rounds)); });
        Thread two([&] { EXPECT_EQ(0, syncs_march_here(barrier, board.get(), 4, 5, rounds)); });
    }
    for (auto &child : children) EXPECT_EQ(0, child->join()); // who ends after the last round has passed it
    EXPECT_EQ(rounds, board->actions);
}

TEST_F(Sync, MoreThreadsThanParties)
{
    Barrier barrier(spork_barrier_new(3));
    const int rounds = harness_count(1000);
    std::atomic<int> passed[3] = {}, ran{0};
    {
        std::vector<std::unique_ptr<Thread>> threads;
        for (int i = 0; i < 7; i++)
            threads.push_back(std::make_unique<Thread>([&] {
                for (;;) {
                    unsigned index = 77;
                    spork_status status = spork_barrier_wait_then(
                        barrier,
                        [](void *user) {
                            ++*static_cast<std::atomic<int> *>(user);
                            return 0;
                        },
                        &ran, &index, kWatchdogMs);
                    if (status == SPORK_BROKEN && ran >= rounds) return;
                    ASSERT_EQ(SPORK_OK, status) << spork_error();
                    ASSERT_LT(index, 3u);
                    if (++passed[index] >= rounds && index == 0) {
                        EXPECT_EQ(SPORK_OK, spork_barrier_abort(barrier));
                        return;
                    }
                }
            }));
    }
    // Each round has one of each index. Those of the last ones may have been told of the end instead.
    EXPECT_GE(passed[0], rounds);
    for (auto &each : passed) EXPECT_LE(each, ran);
    EXPECT_GE(passed[0] + passed[1] + passed[2], 3 * rounds - 6);
}

TEST_F(Sync, ATimeoutWithdrawsAndBreaksNothing)
{
    Barrier barrier(spork_barrier_new(2));
    Actor actor(barrier);
    unsigned index = 77;
    EXPECT_EQ(SPORK_TIMEOUT, spork_barrier_wait(barrier, &index, 0));
    EXPECT_GE(ms_of([&] { EXPECT_EQ(SPORK_TIMEOUT, spork_barrier_wait(barrier, &index, 60)); }), 60);
    EXPECT_STRNE("", spork_error());
    EXPECT_EQ(0u, spork_barrier_waiting(barrier));
    EXPECT_FALSE(spork_barrier_broken(barrier));
    EXPECT_EQ(kTimeout, actor.does("wait 10")) << "we do not count as arrived";
    actor.begin("wait");
    until_waiting(barrier, 1);
    EXPECT_EQ(SPORK_OK, spork_barrier_wait(barrier, &index, kWatchdogMs)) << spork_error();
    EXPECT_EQ(1u, index);
    EXPECT_EQ("SPORK_OK 0", actor.answer());
    EXPECT_EQ(0, actor.end());
}

TEST_F(Sync, NumbersAreUniqueAfterOneHasWithdrawn)
{
    Barrier barrier(spork_barrier_new(4));
    auto others = actors(barrier, 4);
    others[0]->begin("wait");
    until_waiting(barrier, 1);
    others[1]->begin("wait 1000");
    until_waiting(barrier, 2);
    others[2]->begin("wait");
    EXPECT_EQ(kTimeout, others[1]->answer());
    until_waiting(barrier, 2);
    others[3]->begin("wait");
    until_waiting(barrier, 3);
    unsigned index = 77;
    EXPECT_EQ(SPORK_OK, spork_barrier_wait(barrier, &index, 0)) << spork_error();
    std::vector<std::string> answers = {"SPORK_OK " + std::to_string(index)};
    for (size_t i : {size_t{0}, size_t{2}, size_t{3}}) answers.push_back(others[i]->answer());
    std::sort(answers.begin(), answers.end());
    EXPECT_EQ((std::vector<std::string>{"SPORK_OK 0", "SPORK_OK 1", "SPORK_OK 2", "SPORK_OK 3"}), answers);
    for (auto &other : others) EXPECT_EQ(0, other->end());
}

TEST_F(Sync, TheLastRunsItsActionBeforeAnyGoesOn)
{
    Barrier barrier(spork_barrier_new(3));
    Actor one(barrier), two(barrier);
    for (int round = 0; round < 3; round++) {
        one.begin("then 0");
        until_waiting(barrier, 1);
        two.begin("then 0");
        until_waiting(barrier, 2);
        struct Look {
            Actor *one, *two;
            int ran;
        } look = {&one, &two, 0};
        unsigned index = 77;
        EXPECT_EQ(SPORK_OK, spork_barrier_wait_then(
                                barrier,
                                [](void *user) {
                                    spork_sleep(30); // none of them goes on meanwhile: its index would be there
                                    static_cast<Look *>(user)->ran++;
                                    return 0;
                                },
                                &look, &index, kWatchdogMs))
            << spork_error();
        EXPECT_EQ(1, look.ran);
        EXPECT_EQ(2u, index);
        EXPECT_EQ("SPORK_OK 0 0", one.answer()) << one.sentence;
        EXPECT_EQ("SPORK_OK 1 0", two.answer()) << two.sentence;
    }
    EXPECT_EQ(0, one.end());
    EXPECT_EQ(0, two.end());
}

TEST_F(Sync, NobodysTimeEndsWhileTheActionRuns)
{
    Barrier barrier(spork_barrier_new(2));
    Actor other(barrier);
    other.begin("wait 3000"); // the action begins within
    until_waiting(barrier, 1);
    auto slow = [](void *) {
        spork_sleep(3500);
        return 0;
    };
    EXPECT_EQ(SPORK_OK, spork_barrier_wait_then(barrier, slow, nullptr, nullptr, 3000)) << spork_error();
    EXPECT_EQ("SPORK_OK 0", other.answer()) << other.sentence;
    EXPECT_EQ(0, other.end());
}

TEST_F(Sync, AnActionThatFailsBreaksIt)
{
    Barrier barrier(spork_barrier_new(3));
    Actor one(barrier), two(barrier);
    one.begin("wait");
    until_waiting(barrier, 1);
    two.begin("wait");
    until_waiting(barrier, 2);
    EXPECT_EQ(SPORK_BROKEN, spork_barrier_wait_then(
                                barrier, [](void *) { return 5; }, nullptr, nullptr, kWatchdogMs));
    EXPECT_TRUE(says("action"));
    for (Actor *actor : {&one, &two}) {
        EXPECT_EQ(kBroken, actor->answer());
        EXPECT_TRUE(says("action", actor->sentence));
    }
    EXPECT_TRUE(spork_barrier_broken(barrier));
    EXPECT_EQ(kBroken, one.does("wait 0"));
    EXPECT_EQ(kOk, two.does("reset"));
    one.begin("then 0");
    until_waiting(barrier, 1);
    two.begin("then 0");
    until_waiting(barrier, 2);
    EXPECT_EQ(SPORK_OK, spork_barrier_wait(barrier, nullptr, 0)) << spork_error();
    EXPECT_EQ("SPORK_OK 0 0", one.answer());
    EXPECT_EQ("SPORK_OK 1 0", two.answer());
    EXPECT_EQ(0, one.end());
    EXPECT_EQ(0, two.end());
}

TEST_F(Sync, AbortBreaksItUntilItIsReset)
{
    Barrier barrier(spork_barrier_new(3));
    Actor one(barrier), two(barrier);
    one.begin("wait");
    Thread thread([&] {
        EXPECT_EQ(SPORK_BROKEN, spork_barrier_wait(barrier, nullptr, SPORK_FOREVER));
        EXPECT_TRUE(says(two.name() + " has called spork_barrier_abort"));
    });
    until_waiting(barrier, 2);
    EXPECT_EQ(kOk, two.does("abort"));
    EXPECT_EQ(kBroken, one.answer());
    EXPECT_TRUE(says(two.name() + " has called spork_barrier_abort", one.sentence));
    thread.join();
    EXPECT_TRUE(spork_barrier_broken(barrier));
    EXPECT_EQ("SPORK_OK 1", one.does("broken"));
    EXPECT_EQ(kBroken, one.does("wait")) << "those who come";
    EXPECT_EQ(SPORK_BROKEN, spork_barrier_wait(barrier, nullptr, 0));
    EXPECT_EQ(SPORK_OK, spork_barrier_abort(barrier)) << "again: " << spork_error();
    EXPECT_EQ(SPORK_OK, spork_barrier_reset(barrier)) << spork_error();
    EXPECT_EQ("SPORK_OK 0", one.does("broken"));
    EXPECT_EQ(0u, spork_barrier_waiting(barrier));
    one.begin("wait");
    until_waiting(barrier, 1);
    two.begin("wait");
    until_waiting(barrier, 2);
    EXPECT_EQ(SPORK_OK, spork_barrier_wait(barrier, nullptr, 0)) << spork_error();
    EXPECT_EQ("SPORK_OK 0", one.answer());
    EXPECT_EQ("SPORK_OK 1", two.answer());
    EXPECT_EQ(0, one.end());
    EXPECT_EQ(0, two.end());
}

TEST_F(Sync, ResetTellsThoseWhoWaitAndNotThoseWhoCome)
{
    Barrier barrier(spork_barrier_new(3));
    Actor one(barrier), two(barrier);
    for (int round = 0; round < 5; round++) {
        one.begin("wait");
        until_waiting(barrier, 1);
        two.begin("wait");
        until_waiting(barrier, 2);
        ASSERT_EQ(SPORK_OK, spork_barrier_reset(barrier)) << spork_error();
        EXPECT_EQ(0u, spork_barrier_waiting(barrier));
        EXPECT_FALSE(spork_barrier_broken(barrier));
        EXPECT_EQ(SPORK_TIMEOUT, spork_barrier_wait(barrier, nullptr, 10)) << "as new";
        for (Actor *actor : {&one, &two}) {
            EXPECT_EQ(kBroken, actor->answer());
            EXPECT_TRUE(says(name_of(spork_current_process()) + " has called spork_barrier_reset", actor->sentence));
        }
    }
    EXPECT_EQ(0, one.end());
    EXPECT_EQ(0, two.end());
}

TEST_F(Sync, OneOfFiveIsKilledBeforeItArrives)
{
    for (int round : repeat(5)) {
        Barrier barrier(spork_barrier_new(5));
        auto others = actors(barrier, 4);
        Actor victim(barrier);
        std::string name = victim.name();
        for (auto &other : others) other->begin("wait");
        if (round % 2 == 0) until_waiting(barrier, 4);
        victim.kill();
        for (auto &other : others) {
            EXPECT_EQ(kBroken, other->answer());
            EXPECT_TRUE(says(name, other->sentence));
        }
        EXPECT_EQ(SPORK_BROKEN, spork_barrier_wait(barrier, nullptr, kWatchdogMs)) << "or comes later";
        EXPECT_TRUE(says(name));
        EXPECT_TRUE(spork_barrier_broken(barrier));
        EXPECT_EQ(SPORK_OK, spork_barrier_reset(barrier)) << spork_error();
        for (auto &other : others) other->begin("wait");
        until_waiting(barrier, 4);
        EXPECT_EQ(SPORK_OK, spork_barrier_wait(barrier, nullptr, kWatchdogMs)) << spork_error();
        for (auto &other : others) EXPECT_EQ(kOk, other->answer().substr(0, 8)) << other->sentence;
        for (auto &other : others) EXPECT_EQ(0, other->end());
        if (HasFailure()) break;
    }
}

TEST_F(Sync, OneIsKilledWhileItWaitsAtTheBarrier)
{
    for (int round : repeat(5)) {
        Barrier barrier(spork_barrier_new(5));
        auto others = actors(barrier, 4);
        for (auto &other : others) other->begin("wait");
        until_waiting(barrier, 4);
        size_t victim = static_cast<size_t>(round) % 4;
        others[victim]->kill();
        for (size_t i = 0; i < 4; i++) {
            if (i == victim) continue;
            EXPECT_EQ(kBroken, others[i]->answer());
            EXPECT_TRUE(says(others[victim]->name(), others[i]->sentence));
            EXPECT_EQ(0, others[i]->end());
        }
        EXPECT_EQ(SPORK_BROKEN, spork_barrier_wait(barrier, nullptr, kWatchdogMs));
        EXPECT_TRUE(says(others[victim]->name()));
        EXPECT_EQ(SPORK_OK, spork_barrier_reset(barrier)) << spork_error();
        EXPECT_EQ(SPORK_TIMEOUT, spork_barrier_wait(barrier, nullptr, 150)) << "those are expected no more";
        if (HasFailure()) break;
    }
}

TEST_F(Sync, APartyThatSimplyEndsBreaksIt)
{
    for (const char *end : {"return 0", "exit 0"}) {
        SCOPED_TRACE(end);
        Barrier barrier(spork_barrier_new(2));
        Actor actor(barrier), waiter(barrier);
        waiter.begin("wait -1");
        until_waiting(barrier, 1);
        actor.begin(end);
        EXPECT_EQ(kBroken, waiter.answer());
        EXPECT_TRUE(says(actor.name(), waiter.sentence));
        EXPECT_EQ(0, actor.join());
        EXPECT_EQ(SPORK_BROKEN, spork_barrier_wait(barrier, nullptr, kWatchdogMs));
        EXPECT_EQ(0, waiter.end());
    }
}

TEST_F(Sync, WhoWasGivenABarrierAndNeverUsesItIsExpectedToo)
{
    Barrier barrier(spork_barrier_new(2));
    {
        Child idle(target_return, spork_pack(barrier.get(), 0)); // not started: no process
    }
    Child child(target_sleep, spork_pack(barrier.get()));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    EXPECT_EQ(SPORK_TIMEOUT, spork_barrier_wait(barrier, nullptr, 150));
    Thread thread([&] {
        EXPECT_EQ(SPORK_BROKEN, spork_barrier_wait(barrier, nullptr, SPORK_FOREVER));
        EXPECT_TRUE(says(name_of(child.get())));
    });
    until_waiting(barrier, 1);
    EXPECT_EQ(SPORK_OK, spork_process_kill(child.get()));
    thread.join();
}

TEST_F(Sync, APartyThatFreesItMayEnd)
{
    Barrier barrier(spork_barrier_new(2));
    Actor freed(barrier), killed(barrier), waiter(barrier);
    waiter.begin("wait");
    until_waiting(barrier, 1);
    EXPECT_EQ(kOk, freed.does("free"));
    EXPECT_EQ(kOk, killed.does("free"));
    EXPECT_EQ(0, freed.end());
    killed.kill();
    spork_sleep(250); // a death is noticed in less
    EXPECT_EQ(1u, spork_barrier_waiting(barrier));
    EXPECT_FALSE(spork_barrier_broken(barrier));
    EXPECT_EQ(SPORK_OK, spork_barrier_wait(barrier, nullptr, kWatchdogMs)) << spork_error();
    EXPECT_EQ("SPORK_OK 0", waiter.answer()) << waiter.sentence;
    EXPECT_EQ(0, waiter.end());
}

// All had arrived: what becomes of one of them does not matter to that round.
TEST_F(Sync, OneThatIsKilledOnceItHasPassedDoesNotHurtThatRound)
{
    for ([[maybe_unused]] int round : repeat(40)) {
        Barrier barrier(spork_barrier_new(3));
        Actor victim(barrier), other(barrier);
        other.begin("wait");
        spork_status ours = SPORK_INTERNAL;
        Thread thread([&] { ours = spork_barrier_wait(barrier, nullptr, kWatchdogMs); });
        until_waiting(barrier, 2);
        victim.begin("waitdie"); // the last to arrive, and at once gone
        thread.join();
        EXPECT_EQ(SPORK_OK, ours) << spork_error();
        EXPECT_EQ("SPORK_OK", other.answer().substr(0, 8)) << other.sentence;
        EXPECT_EQ(SPORK_BROKEN, spork_barrier_wait(barrier, nullptr, kWatchdogMs)) << "but the next";
        EXPECT_TRUE(says(victim.name()));
        EXPECT_EQ(0, other.end());
        if (HasFailure()) break;
    }
}

TEST_F(Sync, OneThatIsKilledInItsActionBreaksIt)
{
    Barrier barrier(spork_barrier_new(2));
    Actor victim(barrier), other(barrier);
    other.begin("wait");
    until_waiting(barrier, 1);
    EXPECT_EQ("SPORK_OK acting", victim.does("stuck"));
    victim.kill();
    EXPECT_EQ(kBroken, other.answer());
    EXPECT_TRUE(says(victim.name(), other.sentence));
    EXPECT_TRUE(spork_barrier_broken(barrier));
    EXPECT_EQ(SPORK_OK, spork_barrier_reset(barrier)) << spork_error();
    other.begin("wait");
    until_waiting(barrier, 1);
    EXPECT_EQ(SPORK_OK, spork_barrier_wait(barrier, nullptr, kWatchdogMs)) << spork_error();
    EXPECT_EQ("SPORK_OK 0", other.answer());
    EXPECT_EQ(0, other.end());
}

// ---- on the way to another process ----

struct Traveller {
    const char *name;
    std::function<spork_item()> item;
    const char *does, *check, *expected;
};

class Luggage {
  public:
    std::vector<Traveller> all()
    {
        return {
            {"lock", [this] { return spork__as(lock.get()); }, "acquire 0", "acquire 0", kTimeout},
            {"rlock", [this] { return spork__as(rlock.get()); }, "acquire 0", "acquire 0", kTimeout},
            {"semaphore", [this] { return spork__as(semaphore.get()); }, "acquire 0", "value", "SPORK_OK 0"},
            {"permits", [this] { return spork__as(permits.get()); }, "acquire 0", "value", "SPORK_OK 0"},
            {"event", [this] { return spork__as(event.get()); }, "set", "is", "SPORK_OK 1"},
            {"condition", [this] { return spork__as(condition.get()); }, "acquire 0", "acquire 0", kTimeout},
            {"barrier", [this] { return spork__as(barrier.get()); }, "abort", "broken", "SPORK_OK 1"},
        };
    }
    void release_all()
    {
        lock.release(), rlock.release(), semaphore.release(), permits.release();
        event.release(), condition.release(), barrier.release();
    }
    Lock lock{spork_lock_new()};
    RLock rlock{spork_rlock_new()};
    Semaphore semaphore{spork_semaphore_new(1, 0)}, permits{spork_semaphore_new(1, 1)};
    Event event{spork_event_new()};
    Condition condition{spork_condition_new()};
    Barrier barrier{spork_barrier_new(2)};
};

TEST_F(Sync, AllTravelAsArguments)
{
    Luggage luggage;
    for (Traveller &t : luggage.all()) {
        SCOPED_TRACE(t.name);
        Actor one(t.item()), two(t.item());
        EXPECT_EQ(kOk, one.does(t.does)) << one.sentence;
        EXPECT_EQ(t.expected, two.does(t.check)) << two.sentence;
        EXPECT_EQ(0, one.end());
        EXPECT_EQ(0, two.end());
    }
}

TEST_F(Sync, AllTravelToAGrandchild)
{
    Luggage luggage;
    for (Traveller &t : luggage.all()) {
        SCOPED_TRACE(t.name);
        Actor one(t.item()), two(t.item());
        EXPECT_EQ(kOk, one.does("delegate")) << one.sentence;
        EXPECT_EQ(kOk, one.does(t.does)) << one.sentence;
        EXPECT_EQ(t.expected, two.does(t.check)) << two.sentence;
        EXPECT_EQ(0, one.end());
        EXPECT_EQ(0, two.end());
    }
}

TEST_F(Sync, AllTravelOverAConnectionAndAreKept)
{
    Luggage luggage;
    for (Traveller &t : luggage.all()) {
        SCOPED_TRACE(t.name);
        Duplex line;
        Actor one(t.item()), two(std::exchange(line.b, nullptr), line.a, t.item());
        EXPECT_EQ(kOk, two.does(t.does)) << two.sentence;
        EXPECT_EQ(t.expected, one.does(t.check)) << one.sentence;
        EXPECT_EQ(0, two.end());
        EXPECT_EQ(0, one.end());
    }
}

TEST_F(Sync, AllMayBeMovedAway)
{
    for (bool over_a_connection : {false, true}) {
        Luggage luggage;
        for (Traveller &t : luggage.all()) {
            SCOPED_TRACE(t.name);
            Duplex line;
            spork_item item = t.item(), moved = spork__flag(item, SPORK__FLAG_MOVE);
            Actor one(item);
            auto two = over_a_connection ? std::make_unique<Actor>(std::exchange(line.b, nullptr), line.a, moved)
                                         : std::make_unique<Actor>(moved);
            EXPECT_EQ(kOk, two->does(t.does)) << two->sentence;
            EXPECT_EQ(t.expected, one.does(t.check)) << one.sentence;
            EXPECT_EQ(0, two->end());
            EXPECT_EQ(0, one.end());
        }
        EXPECT_EQ(SPORK_INVALID, acquire(luggage.lock, 0)) << "it was moved";
        luggage.release_all();
    }
}

TEST_F(Sync, WhoGotABarrierOverAConnectionIsExpected)
{
    Barrier barrier(spork_barrier_new(2));
    Duplex line;
    Actor actor(std::exchange(line.b, nullptr), line.a, spork__as(barrier.get()));
    EXPECT_EQ("SPORK_OK 0", actor.does("waiting"));
    actor.kill();
    EXPECT_EQ(SPORK_BROKEN, spork_barrier_wait(barrier, nullptr, kWatchdogMs));
    EXPECT_TRUE(says(actor.name()));
}

TEST_F(Sync, AReceivedObjectGoesWithItsMessageUnlessItIsKept)
{
    Lock lock(spork_lock_new());
    Duplex line;
    spork_args *message = nullptr;
    spork_lock *received = nullptr;
    ASSERT_EQ(SPORK_OK, spork_connection_send(line.a, spork_pack(lock.get()), kWatchdogMs)) << spork_error();
    ASSERT_EQ(SPORK_OK, spork_connection_recv(line.b, &message, kWatchdogMs)) << spork_error();
    spork_event *other = nullptr;
    EXPECT_EQ(SPORK_INVALID, spork_unpack(message, &other)) << "it is a lock";
    ASSERT_EQ(SPORK_OK, spork_unpack(message, &received)) << spork_error();
    EXPECT_EQ(SPORK_OK, acquire(received, 0)) << spork_error();
    EXPECT_EQ(SPORK_OK, release(received)) << spork_error();
    spork_args_free(message);
    EXPECT_EQ(SPORK_INVALID, acquire(received, 0));
    EXPECT_TRUE(says("was freed"));
    EXPECT_EQ(SPORK_OK, acquire(lock, 0)) << spork_error();
    EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
}

TEST_F(Sync, OneLockTwiceInOnePack)
{
    Lock lock(spork_lock_new());
    Child child(syncs_two_at_once, spork_pack(lock.get(), lock.get()));
    EXPECT_EQ(0, child.run());
    EXPECT_FALSE(spork_lock_locked(lock));
}

TEST_F(Sync, WhatLivesInAnotherProcessOutlivesOurObject)
{
    Luggage luggage;
    for (Traveller &t : luggage.all()) {
        SCOPED_TRACE(t.name);
        auto one = std::make_unique<Actor>(t.item()), two = std::make_unique<Actor>(t.item());
        if (strcmp(t.name, "lock") == 0) luggage.lock.close();
        if (strcmp(t.name, "rlock") == 0) luggage.rlock.close();
        if (strcmp(t.name, "semaphore") == 0) luggage.semaphore.close();
        if (strcmp(t.name, "permits") == 0) luggage.permits.close();
        if (strcmp(t.name, "event") == 0) luggage.event.close();
        if (strcmp(t.name, "condition") == 0) luggage.condition.close();
        if (strcmp(t.name, "barrier") == 0) luggage.barrier.close();
        EXPECT_EQ(kOk, one->does(t.does)) << one->sentence;
        EXPECT_EQ(t.expected, two->does(t.check)) << two->sentence;
        EXPECT_EQ(0, one->end());
        EXPECT_EQ(0, two->end());
    }
}

TEST_F(Sync, WhatWasNotPassedIsNotShared)
{
    if (spork_get_start_method() != SPORK_FORK) GTEST_SKIP() << "only a forked child has the address at all";
    Luggage luggage;
    auto address = [](const void *p) { return reinterpret_cast<uintptr_t>(p); };
    ASSERT_EQ(SPORK_OK, acquire(luggage.lock)) << spork_error();
    Child child(syncs_not_shared,
                spork_pack(address(luggage.lock), address(luggage.rlock), address(luggage.semaphore),
                           address(luggage.event), address(luggage.condition), address(luggage.barrier)));
    EXPECT_EQ(0, child.run());
    EXPECT_EQ(SPORK_OK, release(luggage.lock)) << spork_error();
    EXPECT_EQ(1u, spork_semaphore_value(luggage.semaphore));
    EXPECT_EQ(SPORK_TIMEOUT, spork_barrier_wait(luggage.barrier, nullptr, 150)) << "it was not given that";
}

// ---- misuse ----

struct Misuse {
    const char *what;
    std::function<spork_status()> call;
};

// All calls that return a status, on objects that need not be such.
std::vector<Misuse> all_calls(spork_lock *l, spork_rlock *r, spork_semaphore *s, spork_event *e, spork_condition *c,
                              spork_barrier *b)
{
    static const auto always = [](void *) { return true; };
    static const auto nothing = [](void *) { return 0; };
    return {
        {"spork_lock_acquire", [=] { return spork_lock_acquire(l, 0); }},
        {"spork_lock_recover", [=] { return spork_lock_recover(l, 0); }},
        {"spork_lock_release", [=] { return spork_lock_release(l); }},
        {"spork_rlock_acquire", [=] { return spork_rlock_acquire(r, 0); }},
        {"spork_rlock_recover", [=] { return spork_rlock_recover(r, 0); }},
        {"spork_rlock_release", [=] { return spork_rlock_release(r); }},
        {"spork_semaphore_acquire", [=] { return spork_semaphore_acquire(s, 0); }},
        {"spork_semaphore_release", [=] { return spork_semaphore_release(s); }},
        {"spork_event_set", [=] { return spork_event_set(e); }},
        {"spork_event_clear", [=] { return spork_event_clear(e); }},
        {"spork_event_wait", [=] { return spork_event_wait(e, SPORK_FOREVER); }},
        {"spork_condition_acquire", [=] { return spork_condition_acquire(c, 0); }},
        {"spork_condition_recover", [=] { return spork_condition_recover(c, 0); }},
        {"spork_condition_release", [=] { return spork_condition_release(c); }},
        {"spork_condition_wait", [=] { return spork_condition_wait(c, SPORK_FOREVER); }},
        {"spork_condition_wait_for", [=] { return spork_condition_wait_for(c, always, nullptr, SPORK_FOREVER); }},
        {"spork_condition_notify", [=] { return spork_condition_notify(c, 1); }},
        {"spork_condition_notify_all", [=] { return spork_condition_notify_all(c); }},
        {"spork_barrier_wait", [=] { return spork_barrier_wait(b, nullptr, SPORK_FOREVER); }},
        {"spork_barrier_wait", // its sentences name this one
         [=] { return spork_barrier_wait_then(b, nothing, nullptr, nullptr, SPORK_FOREVER); }},
        {"spork_barrier_abort", [=] { return spork_barrier_abort(b); }},
        {"spork_barrier_reset", [=] { return spork_barrier_reset(b); }},
    };
}

TEST_F(Sync, NothingIsDoneWithNull)
{
    EXPECT_EQ(nullptr, spork_barrier_new(0));
    const std::string earlier = spork_error();
    for (Misuse &row : all_calls(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr)) {
        EXPECT_EQ(SPORK_INVALID, row.call()) << row.what;
        EXPECT_EQ(earlier, spork_error()) << row.what;
    }
    EXPECT_FALSE(spork_lock_locked(nullptr));
    EXPECT_FALSE(spork_rlock_locked(nullptr));
    EXPECT_EQ(0u, spork_semaphore_value(nullptr));
    EXPECT_FALSE(spork_event_is_set(nullptr));
    spork_barrier_broken(nullptr);
    EXPECT_EQ(0u, spork_barrier_parties(nullptr));
    EXPECT_EQ(0u, spork_barrier_waiting(nullptr));
    spork_lock_free(nullptr);
    spork_rlock_free(nullptr);
    spork_semaphore_free(nullptr);
    spork_event_free(nullptr);
    spork_condition_free(nullptr);
    spork_barrier_free(nullptr);
    EXPECT_EQ(earlier, spork_error());
    EXPECT_EQ(0u, logged()) << log_text();
}

TEST_F(Sync, WhatWasFreedIsToldSo)
{
    spork_lock *l = spork_lock_new();
    spork_rlock *r = spork_rlock_new();
    spork_semaphore *s = spork_semaphore_new(1, 1);
    spork_event *e = spork_event_new();
    spork_condition *c = spork_condition_new();
    spork_barrier *b = spork_barrier_new(1);
    spork_lock_free(l);
    spork_rlock_free(r);
    spork_semaphore_free(s);
    spork_event_free(e);
    spork_condition_free(c);
    spork_barrier_free(b);
    for (Misuse &row : all_calls(l, r, s, e, c, b)) {
        EXPECT_EQ(SPORK_INVALID, row.call()) << row.what;
        EXPECT_TRUE(says("was freed")) << row.what;
        EXPECT_TRUE(says(row.what));
    }
    spork_wait_item item = spork_on(e);
    EXPECT_EQ(SPORK_INVALID, spork_wait(&item, 1, 0));
    EXPECT_FALSE(spork_lock_locked(l));
    EXPECT_EQ(0u, logged()) << log_text();
    spork_lock_free(l); // told in the log
    EXPECT_EQ(1u, logged()) << log_text();
}

TEST_F(Sync, OneKindIsNotAnother)
{
    Lock lock(spork_lock_new());
    Event event(spork_event_new());
    auto cast = [](auto *p) { return static_cast<void *>(p); };
    void *l = cast(lock.get()), *e = cast(event.get());
    for (Misuse &row :
         all_calls(static_cast<spork_lock *>(e), static_cast<spork_rlock *>(l), static_cast<spork_semaphore *>(l),
                   static_cast<spork_event *>(l), static_cast<spork_condition *>(l), static_cast<spork_barrier *>(l))) {
        EXPECT_EQ(SPORK_INVALID, row.call()) << row.what;
        EXPECT_TRUE(says("of kind")) << row.what;
        EXPECT_TRUE(says(row.what));
    }
    EXPECT_FALSE(spork_lock_locked(lock));
    EXPECT_FALSE(spork_event_is_set(event));
    spork_event_free(static_cast<spork_event *>(l)); // nothing is freed
    EXPECT_EQ(1u, logged()) << log_text();
    EXPECT_EQ(SPORK_OK, acquire(lock, 0)) << spork_error();
    EXPECT_EQ(SPORK_OK, release(lock)) << spork_error();
}

TEST_F(Sync, OptionsThatMeanNothingAreRefused)
{
    spork_lock_options options = {};
    const int two = 2;
    memcpy(&options.on_owner_death, &two, sizeof two);
    EXPECT_EQ(nullptr, spork_lock_new_with(&options));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    EXPECT_TRUE(says("on_owner_death"));
    EXPECT_EQ(nullptr, spork_rlock_new_with(&options));
    EXPECT_TRUE(says("on_owner_death"));
    EXPECT_EQ(nullptr, spork_condition_new_with(&options));
    EXPECT_TRUE(says("on_owner_death"));
    // Those of a newer version, all zero.
    struct {
        spork_lock_options known;
        int newer[4];
    } more = {};
    Lock zero(spork__lock_new(&more.known, sizeof more));
    options.on_owner_death = SPORK_TELL;
    Lock tells(spork_lock_new_with(&options));
    EXPECT_EQ(SPORK_OK, acquire(tells, 0)) << spork_error();
    EXPECT_EQ(SPORK_OK, release(tells)) << spork_error();
}

TEST_F(Sync, ManyLeaveNothingBehind)
{
    for ([[maybe_unused]] int i : repeat(300)) Luggage luggage;
    std::vector<std::unique_ptr<Luggage>> all;
    for (int i = 0; i < 20; i++) all.push_back(std::make_unique<Luggage>());
    for (auto &luggage : all) EXPECT_EQ(SPORK_OK, acquire(luggage->lock, 0)) << "each is its own: " << spork_error();
    for (auto &luggage : all) EXPECT_EQ(SPORK_OK, release(luggage->lock)) << spork_error();
}

} // namespace
