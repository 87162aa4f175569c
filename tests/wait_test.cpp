// Waiting for any of many. Runs once under each start method.
#ifndef _WIN32
#include <poll.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <vector>

#include "child.h"
#include "harness/handles.h"
#include "harness/waits.h"
#include "platform.h"

namespace {

struct Connections {
    explicit Connections(size_t count) : readers(count), writers(count)
    {
        for (size_t i = 0; i < count; i++) EXPECT_EQ(SPORK_OK, spork_pipe(&readers[i], &writers[i])) << spork_error();
    }
    ~Connections()
    {
        for (auto *c : readers) spork_connection_free(c);
        for (auto *c : writers) spork_connection_free(c);
    }
    std::vector<spork_connection *> readers, writers;
};

void take(spork_connection *c)
{
    spork_args *message = nullptr;
    EXPECT_EQ(SPORK_OK, spork_connection_recv(c, &message, 0)) << spork_error();
    spork_args_free(message);
}

bool always(void *) { return true; }

void take_bytes(spork_connection *c)
{
    char byte = 0;
    EXPECT_EQ(SPORK_OK, spork_connection_recv_bytes(c, &byte, 1, nullptr, 0)) << spork_error();
    EXPECT_EQ('m', byte) << "what was there";
}

int nothing(const spork_args *) { return 0; }

int sevens(const spork_args *, spork_task *task) { return spork_return(task, 7); }

// Each object is there and ready, so that only the time is wrong. "At once", reckoned too late by
// somebody, is never "for ever".
TEST(Wait, ForANegativeTimeIsRefusedByEveryCallAndChangesNothing)
{
    constexpr int kWrong = -2;
    Connections line(1);
    spork_queue *queue = spork_queue_new(0, 0);
    spork_queue_options alone = {};
    alone.single_producer = alone.single_consumer = true;
    spork_queue *in_place = spork_queue_new_with(&alone);
    spork_lock *lock = spork_lock_new();
    spork_rlock *rlock = spork_rlock_new();
    spork_semaphore *semaphore = spork_semaphore_new(1, 1);
    spork_event *event = spork_event_new();
    spork_condition *condition = spork_condition_new();
    spork_barrier *barrier = spork_barrier_new(1);
    spork_args *message = nullptr;
    char byte = 0;
    void *room = nullptr;
    spork_bytes bytes = {};
    spork_event_set(event);
    ASSERT_EQ(SPORK_OK, spork_condition_acquire(condition, 0));
    for (int i = 0; i < 2; i++) {
        ASSERT_EQ(SPORK_OK, spork_connection_send_bytes(line.writers[0], "m", 1, 0));
        ASSERT_EQ(SPORK_OK, spork_queue_put_bytes(queue, "m", 1, 0));
    }
    spork_wait_item item = spork_on(queue);
    const std::vector<std::pair<const char *, spork_status>> told = {
        {"send", spork_connection_send(line.writers[0], spork_pack(1), kWrong)},
        {"send_bytes", spork_connection_send_bytes(line.writers[0], "x", 1, kWrong)},
        {"recv", spork_connection_recv(line.readers[0], &message, kWrong)},
        {"recv_bytes", spork_connection_recv_bytes(line.readers[0], &byte, 1, nullptr, kWrong)},
        {"poll", spork_connection_poll(line.readers[0], kWrong)},
        {"put", spork_queue_put(queue, spork_pack(1), kWrong)},
        {"put_bytes", spork_queue_put_bytes(queue, "x", 1, kWrong)},
        {"get", spork_queue_get(queue, &message, kWrong)},
        {"get_bytes", spork_queue_get_bytes(queue, &byte, 1, nullptr, kWrong)},
        {"join", spork_queue_join(queue, kWrong)},
        {"reserve", spork_queue_reserve(in_place, 1, &room, kWrong)},
        {"peek", spork_queue_peek(in_place, &bytes, kWrong)},
        {"lock", spork_lock_acquire(lock, kWrong)},
        {"lock_recover", spork_lock_recover(lock, kWrong)},
        {"rlock", spork_rlock_acquire(rlock, kWrong)},
        {"rlock_recover", spork_rlock_recover(rlock, kWrong)},
        {"semaphore", spork_semaphore_acquire(semaphore, kWrong)},
        {"event", spork_event_wait(event, kWrong)},
        {"condition_acquire", spork_condition_acquire(condition, kWrong)},
        {"condition_recover", spork_condition_recover(condition, kWrong)},
        {"condition", spork_condition_wait(condition, kWrong)},
        {"condition_for", spork_condition_wait_for(condition, always, nullptr, kWrong)},
        {"barrier", spork_barrier_wait(barrier, nullptr, kWrong)},
        {"barrier_then", spork_barrier_wait_then(barrier, nullptr, nullptr, nullptr, kWrong)},
        {"wait", spork_wait(&item, 1, kWrong)},
    };
    for (const auto &[call, status] : told) EXPECT_EQ(SPORK_INVALID, status) << call;
    EXPECT_STREQ("spork_wait: -2 ms is no time to wait: 0 only looks, SPORK_FOREVER waits as long "
                 "as it takes",
                 spork_error());
    EXPECT_EQ(2u, spork_queue_size(queue));
    EXPECT_FALSE(spork_lock_locked(lock));
    EXPECT_EQ(SPORK_OK, spork_semaphore_acquire(semaphore, 0)) << "its permit is there";
    spork_sleep(kWrong); // or the test would not end
    take_bytes(line.readers[0]);
    take_bytes(line.readers[0]);
    EXPECT_EQ(SPORK_TIMEOUT, spork_connection_poll(line.readers[0], 0)) << "nothing was sent";
    EXPECT_EQ(SPORK_OK, spork_queue_reserve(in_place, 1, &room, 0)) << "no room is reserved";
    spork_condition_release(condition);
    spork_semaphore_release(semaphore);
    spork_queue_free(queue);
    spork_queue_free(in_place);
    spork_lock_free(lock);
    spork_rlock_free(rlock);
    spork_semaphore_free(semaphore);
    spork_event_free(event);
    spork_condition_free(condition);
    spork_barrier_free(barrier);
}

TEST(Wait, ForANegativeTimeIsRefusedByProcessesThreadsAndPools)
{
    constexpr int kWrong = -2;
    Child child(target_return, spork_pack(0));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    EXPECT_EQ(SPORK_INVALID, spork_process_join(child.get(), kWrong));
    EXPECT_EQ(0, child.join());
    spork_thread *thread = spork_thread_new(nothing, SPORK_NO_ARGS);
    ASSERT_EQ(SPORK_OK, spork_thread_start(thread)) << spork_error();
    EXPECT_EQ(SPORK_INVALID, spork_thread_join(thread, kWrong));
    EXPECT_EQ(SPORK_OK, spork_thread_join(thread, kWatchdogMs));
    spork_thread_free(thread);
    spork_pool_options o = {};
    o.workers = 1;
    o.threads = true;
    spork_pool *pool = spork_pool_new_with(&o);
    spork_future *future = nullptr;
    ASSERT_EQ(SPORK_OK, spork_pool_apply_async(pool, sevens, SPORK_NO_ARGS, nullptr, &future))
        << spork_error();
    int seven = 0;
    size_t index = 0;
    EXPECT_EQ(SPORK_INVALID, spork_future_wait(future, kWrong));
    EXPECT_EQ(SPORK_INVALID, spork_future_check(future, kWrong));
    EXPECT_EQ(SPORK_INVALID, spork_future_get(future, kWrong, &seven));
    EXPECT_EQ(SPORK_INVALID, spork_future_wait_any(&future, 1, kWrong, &index));
    EXPECT_EQ(SPORK_INVALID, spork_future_wait_all(&future, 1, kWrong));
    EXPECT_EQ(SPORK_INVALID, spork_pool_apply(pool, sevens, SPORK_NO_ARGS, nullptr, kWrong));
    EXPECT_EQ(SPORK_INVALID, spork_pool_shutdown(pool, kWrong));
    ASSERT_EQ(SPORK_OK, spork_future_get(future, kWatchdogMs, &seven)) << spork_error();
    EXPECT_EQ(7, seven);
    spork_future_free(future);
    spork_pool_close(pool);
    EXPECT_EQ(SPORK_INVALID, spork_pool_join(pool, kWrong));
    spork_pool_free(pool);
}

TEST(Wait, OfThreeHundredFindsExactlyTheSevenThatAreReady)
{
    constexpr size_t kCount = 300;
    Connections connections(kCount);
    for (int round : repeat(1000, 2, 3)) {
        if (HasFailure()) break;
        std::set<size_t> chosen;
        for (size_t k = 0; k < 7; k++) chosen.insert((static_cast<size_t>(round) * 13 + k * 41) % kCount);
        for (size_t i : chosen)
            ASSERT_EQ(SPORK_OK, spork_connection_send(connections.writers[i], spork_pack(round), kWatchdogMs));
        std::vector<spork_wait_item> items;
        for (size_t i = 0; i < kCount; i++) items.push_back(spork_on(connections.readers[i]));
        bool backwards = round % 2 == 1;
        if (backwards) std::reverse(items.begin(), items.end());
        ASSERT_EQ(SPORK_OK, spork_wait(items.data(), kCount, kWatchdogMs)) << spork_error();
        for (size_t i = 0; i < kCount; i++) {
            size_t which = backwards ? kCount - 1 - i : i;
            EXPECT_EQ(chosen.count(which) == 1, items[i].ready) << "round " << round << ", connection " << which;
            if (items[i].ready) take(connections.readers[which]);
        }
    }
}

TEST(Wait, OfThreeHundredIsWokenByOneThatComesLater)
{
    constexpr size_t kCount = 300;
    Connections connections(kCount);
    spork_queue *queue = spork_queue_new(0, 0);
    std::vector<spork_wait_item> items;
    for (auto *c : connections.readers) items.push_back(spork_on(c));
    items.push_back(spork_on(queue));
    for (size_t chosen : {size_t{0}, kCount / 2, kCount - 1}) {
        Child child(target_send_later, spork_pack(connections.writers[chosen], 100));
        ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
        ASSERT_EQ(SPORK_OK, spork_wait(items.data(), items.size(), kWatchdogMs)) << spork_error();
        for (size_t i = 0; i < items.size(); i++) EXPECT_EQ(i == chosen, items[i].ready) << i;
        take(connections.readers[chosen]);
        EXPECT_EQ(0, child.join());
    }
    Child child(target_put_later, spork_pack(queue, 100));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    ASSERT_EQ(SPORK_OK, spork_wait(items.data(), items.size(), kWatchdogMs)) << spork_error();
    EXPECT_TRUE(items.back().ready);
    EXPECT_EQ(0, child.join());
    spork_queue_free(queue);
}

TEST(Wait, SeesAProcessEnd)
{
    Child sleeper(target_sleep, SPORK_NO_ARGS), other(target_sleep_ms, spork_pack(50, 3));
    ASSERT_EQ(SPORK_OK, sleeper.start());
    ASSERT_EQ(SPORK_OK, other.start());
    spork_wait_item items[] = {spork_on(sleeper.get()), spork_on(other.get())};
    ASSERT_EQ(SPORK_OK, spork_wait(items, 2, kWatchdogMs)) << spork_error();
    EXPECT_FALSE(items[0].ready);
    EXPECT_TRUE(items[1].ready);
    EXPECT_EQ(3, other.join());
    EXPECT_EQ(SPORK_OK, spork_process_kill(sleeper.get()));
    EXPECT_EQ(SPORK_OK, spork_wait(items, 1, kWatchdogMs)) << spork_error();
    EXPECT_TRUE(items[0].ready);
}

TEST(Wait, RefusesWhatCanNeverBe)
{
    Child child(target_return, spork_pack(3));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    spork_wait_item item = spork_on(child.get());
    item.events = SPORK_WRITE;
    EXPECT_EQ(SPORK_INVALID, spork_wait(&item, 1, 0));
    EXPECT_STRNE("", spork_error());
    EXPECT_EQ(3, child.join());
}

TEST(Wait, SeesRoomInAQueue)
{
    spork_queue *queue = spork_queue_new(1, 0);
    ASSERT_EQ(SPORK_OK, spork_queue_put(queue, spork_pack(1), 0));
    spork_wait_item item = spork_on(queue);
    item.events = SPORK_WRITE;
    EXPECT_EQ(SPORK_TIMEOUT, spork_wait(&item, 1, 0));
    EXPECT_EQ(SPORK_TIMEOUT, spork_wait(&item, 1, 20));
    Child child(target_get_later, spork_pack(spork_get_only(queue), 50));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_wait(&item, 1, kWatchdogMs)) << spork_error();
    EXPECT_TRUE(item.ready);
    EXPECT_EQ(0, child.join());
    spork_queue_free(queue);
}

TEST(Wait, SeesTheEndOfAQueueAndOfAConnectionWhoseLastUserIsKilled)
{
    spork_queue *queue = spork_queue_new(0, 0);
    spork_connection *reader, *writer;
    ASSERT_EQ(SPORK_OK, spork_pipe(&reader, &writer));
    Child child(target_hold_both, spork_pack(spork_put_only(queue), spork_move(writer)));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    ASSERT_EQ(SPORK_OK, spork_queue_drop(queue, SPORK_PUT));
    spork_wait_item items[] = {spork_on(queue), spork_on(reader)};
    EXPECT_EQ(SPORK_TIMEOUT, spork_wait(items, 2, 60));
    ASSERT_EQ(SPORK_OK, spork_process_kill(child.get()));
    for (auto &item : items) EXPECT_EQ(SPORK_OK, spork_wait(&item, 1, kWatchdogMs)) << spork_error();
    spork_args *message;
    EXPECT_EQ(SPORK_CLOSED, spork_queue_get(queue, &message, 0));
    EXPECT_EQ(SPORK_CLOSED, spork_connection_recv(reader, &message, 0));
    spork_connection_free(reader);
    spork_queue_free(queue);
}

TEST(Wait, RefusesWhatCannotBeWaitedForAndSaysWhich)
{
    spork_connection *reader, *writer;
    ASSERT_EQ(SPORK_OK, spork_pipe(&reader, &writer));
    spork_queue *queue = spork_queue_new(0, 0);
    Child idle(target_return, spork_pack(0));
    spork_wait_item good = spork_on(reader);
    struct {
        spork_wait_item item;
        spork_status status;
    } cases[] = {{spork_on(writer), SPORK_INVALID},
                 {spork_on(idle.get()), SPORK_BAD_STATE},
                 {spork_on(static_cast<spork_queue *>(nullptr)), SPORK_INVALID},
                 {spork_on_native(7777, SPORK_READ), SPORK_INVALID},
                 {spork_on_native(1, 0), SPORK_INVALID},
                 {spork__on(99, nullptr, -1, SPORK_READ), SPORK_INVALID}};
    for (auto &c : cases) {
        spork_wait_item items[] = {good, c.item};
        spork_status status = spork_wait(items, 2, 0);
        EXPECT_EQ(c.status, status) << spork_error();
        EXPECT_NE(nullptr, strstr(spork_error(), "item 1")) << spork_error();
        spork_native handle;
        EXPECT_NE(SPORK_OK, spork_arm(c.item, &handle));
        EXPECT_EQ(-1, handle);
    }
    EXPECT_EQ(SPORK_INVALID, spork_wait(nullptr, 1, 0));
    EXPECT_EQ(SPORK_INVALID, spork_wait(&good, 0, 0));
    EXPECT_EQ(SPORK_INVALID, spork_arm(good, nullptr));
    spork_native handle;
    spork_wait_item both = spork_on(queue);
    both.events = SPORK_READ | SPORK_WRITE;
    EXPECT_EQ(SPORK_INVALID, spork_arm(both, &handle));
    EXPECT_NE(nullptr, strstr(spork_error(), "one event at a time")) << spork_error();
    spork_connection_free(reader);
    spork_connection_free(writer);
    spork_queue_free(queue);
}

// ---- sockets ----

// Two that are connected over a network; what is still -1 has been closed.
struct Sockets {
    spork_native ends[2] = {-1, -1};
    explicit Sockets(bool network = true) { EXPECT_TRUE(handles_sockets(ends, network)); }
    ~Sockets()
    {
        for (int i = 0; i < 2; i++) close(i);
    }
    Sockets(Sockets &&other) noexcept { std::swap(ends, other.ends); }
    void close(int which)
    {
        if (ends[which] != -1) handles_close_socket(std::exchange(ends[which], -1));
    }
};

// While somebody waits, most likely.
void later(const std::function<void()> &act)
{
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    act();
}

int received(spork_native socket)
{
    char buffer[100];
    return handles_receive(socket, buffer, sizeof buffer);
}

TEST(Wait, ForASocketSeesWhatComesAndItsEnd)
{
    for (bool network : {true, false}) {
        Sockets s(network);
        spork_queue *queue = spork_queue_new(0, 0);
        spork_wait_item items[] = {spork_on(queue), spork_on_socket(s.ends[0], SPORK_READ)};
        EXPECT_EQ(SPORK_TIMEOUT, spork_wait(items, 2, 0));
        EXPECT_EQ(SPORK_TIMEOUT, spork_wait(items, 2, 20));
        {
            Thread sender([&] { later([&] { EXPECT_TRUE(handles_send(s.ends[1], "five!")); }); });
            EXPECT_EQ(SPORK_OK, spork_wait(items, 2, kWatchdogMs)) << spork_error();
        }
        EXPECT_FALSE(items[0].ready);
        EXPECT_TRUE(items[1].ready);
        EXPECT_EQ(5, received(s.ends[0]));
        EXPECT_EQ(SPORK_TIMEOUT, spork_wait(items, 2, 0));
        {
            Thread closer([&] { later([&] { s.close(1); }); });
            EXPECT_EQ(SPORK_OK, spork_wait(items, 2, kWatchdogMs)) << spork_error();
        }
        EXPECT_TRUE(items[1].ready);
        EXPECT_EQ(0, received(s.ends[0]));
        spork_queue_free(queue);
    }
}

// A wait that finds no handle looks every other millisecond: no test would notice.
TEST(Wait, ForASocketHasAHandleThatTellsEachTime)
{
    Sockets s;
    void *watch = nullptr;
    for (int round = 0; round < 3; round++) {
        spork_native handle = spork__os_socket_watch(s.ends[0], false, &watch);
        ASSERT_NE(-1, handle);
        spork_wait_item native = spork_on_native(handle, SPORK_READ);
        EXPECT_EQ(SPORK_TIMEOUT, spork_wait(&native, 1, 0)) << round;
        EXPECT_EQ(handle, spork__os_socket_watch(s.ends[0], false, &watch)) << "still asked";
        ASSERT_TRUE(handles_send(s.ends[1], "x"));
        EXPECT_EQ(SPORK_OK, spork_wait(&native, 1, kWatchdogMs)) << spork_error();
        EXPECT_EQ(1, received(s.ends[0]));
    }
    ASSERT_NE(-1, spork__os_socket_watch(s.ends[0], true, &watch));
    spork__os_socket_leave(&watch);
    EXPECT_EQ(nullptr, watch);
}

TEST(Wait, ForASocketDoesNotTakeUrgentDataForRoom)
{
    Sockets s;
    ASSERT_TRUE(handles_fill(s.ends[0]));
    ASSERT_TRUE(handles_send_urgent(s.ends[1]));
    spork_wait_item item = spork_on_socket(s.ends[0], SPORK_WRITE);
    EXPECT_EQ(SPORK_TIMEOUT, spork_wait(&item, 1, 50));
}

TEST(Wait, ForASocketLeavesItBlocking)
{
    Sockets s;
    spork_wait_item item = spork_on_socket(s.ends[0], SPORK_READ);
    EXPECT_EQ(SPORK_TIMEOUT, spork_wait(&item, 1, 20));
    Thread sender([&] { later([&] { EXPECT_TRUE(handles_send(s.ends[1], "abc")); }); });
    EXPECT_EQ(3, received(s.ends[0]));
}

TEST(Wait, ForASocketSeesRoomToSend)
{
    Sockets s;
    spork_wait_item item = spork_on_socket(s.ends[0], SPORK_READ | SPORK_WRITE);
    EXPECT_EQ(SPORK_OK, spork_wait(&item, 1, kWatchdogMs)) << spork_error();
    ASSERT_TRUE(handles_fill(s.ends[0]));
    EXPECT_EQ(SPORK_TIMEOUT, spork_wait(&item, 1, 20)); // nor has anything come
    std::atomic<bool> stop{false};
    Thread reader([&] {
        later([&] {
            while (!stop && received(s.ends[1]) > 0) {}
        });
    });
    EXPECT_EQ(SPORK_OK, spork_wait(&item, 1, kWatchdogMs)) << spork_error();
    stop = true;
    s.close(0); // the reader may be waiting: now it sees the end
}

TEST(Wait, ForASocketSeesWhoConnects)
{
    spork_native listening, client = -1, server = -1;
    int port;
    ASSERT_TRUE(handles_listen(&listening, &port));
    spork_wait_item item = spork_on_socket(listening, SPORK_READ);
    EXPECT_EQ(SPORK_TIMEOUT, spork_wait(&item, 1, 20));
    Thread caller([&] { later([&] { EXPECT_TRUE(handles_connect(&client, port)); }); });
    ASSERT_EQ(SPORK_OK, spork_wait(&item, 1, kWatchdogMs)) << spork_error();
    EXPECT_TRUE(handles_accept(listening, &server));
    caller.join();
    spork_wait_item connected = spork_on_socket(client, SPORK_WRITE);
    EXPECT_EQ(SPORK_OK, spork_wait(&connected, 1, kWatchdogMs)) << spork_error();
    for (spork_native s : {listening, client, server}) handles_close_socket(s);
}

TEST(Wait, ForSeventySocketsFindsTheOne)
{
    std::vector<Sockets> all;
    std::vector<spork_wait_item> items;
    for (int i = 0; i < 70; i++) {
        all.emplace_back();
        items.push_back(spork_on_socket(all.back().ends[0], SPORK_READ));
    }
    for (size_t chosen : {size_t{0}, size_t{66}}) {
        Thread sender([&] { later([&] { EXPECT_TRUE(handles_send(all[chosen].ends[1], "x")); }); });
        ASSERT_EQ(SPORK_OK, spork_wait(items.data(), items.size(), kWatchdogMs)) << spork_error();
        for (size_t i = 0; i < items.size(); i++) EXPECT_EQ(i == chosen, items[i].ready) << i;
        EXPECT_EQ(1, received(all[chosen].ends[0]));
    }
}

TEST(Wait, ForASocketTakesNoOtherHandle)
{
    spork_native pipe[2], handle;
    ASSERT_TRUE(handles_pipe(pipe));
    for (spork_native none : {pipe[0], spork_native{7777}, spork_native{-1}}) {
        spork_wait_item item = spork_on_socket(none, SPORK_READ);
        EXPECT_EQ(SPORK_INVALID, spork_wait(&item, 1, 0)) << none;
        EXPECT_NE(nullptr, strstr(spork_error(), "item 0")) << spork_error();
    }
    for (spork_native end : pipe) handles_close(end);
    Sockets s;
    spork_status armed = spork_arm(spork_on_socket(s.ends[0], SPORK_READ), &handle);
#ifdef _WIN32
    EXPECT_EQ(SPORK_UNSUPPORTED, armed);
    EXPECT_EQ(-1, handle);
#else
    EXPECT_EQ(SPORK_OK, armed);
    EXPECT_EQ(s.ends[0], handle);
#endif
    ASSERT_TRUE(handles_send(s.ends[1], "x"));
    spork_wait_item item = spork_on_socket(s.ends[0], SPORK_READ);
    ASSERT_EQ(SPORK_OK, spork_wait(&item, 1, kWatchdogMs)) << spork_error();
    EXPECT_EQ(SPORK_READY, spork_arm(item, &handle));
    EXPECT_EQ(-1, handle);
}

// ---- in somebody else's loop ----

void expect_to_wake(spork_native handle)
{
    spork_wait_item native = spork_on_native(handle, SPORK_READ);
    EXPECT_EQ(SPORK_OK, spork_wait(&native, 1, kWatchdogMs)) << spork_error();
}

TEST(Wait, AnArmedQueueWakesForeignLoopsForEachMessage)
{
    spork_queue *queue = spork_queue_new(0, 0);
    spork_native handle = -1;
    spork_args *message;
    for (int i = 0; i < 3; i++) {
        ASSERT_EQ(SPORK_OK, spork_arm(spork_on(queue), &handle)) << spork_error();
        ASSERT_NE(-1, handle);
        spork_wait_item native = spork_on_native(handle, SPORK_READ);
        EXPECT_EQ(SPORK_TIMEOUT, spork_wait(&native, 1, 0)); // it is quiet
        Child child(target_put_later, spork_pack(spork_put_only(queue), 20));
        ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
        expect_to_wake(handle);
        EXPECT_EQ(SPORK_READY, spork_arm(spork_on(queue), &handle));
        EXPECT_EQ(-1, handle);
        ASSERT_EQ(SPORK_OK, spork_queue_get(queue, &message, 0)) << spork_error();
        spork_args_free(message);
        EXPECT_EQ(0, child.join());
    }
    spork_queue_free(queue);
}

TEST(Wait, AnArmedConnectionAndProcessWakeForeignLoops)
{
    spork_connection *reader, *writer;
    ASSERT_EQ(SPORK_OK, spork_pipe(&reader, &writer));
    spork_native handle = -1;
    Child child(target_send_later, spork_pack(writer, 20));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    spork_status status = spork_arm(spork_on(reader), &handle);
    if (status != SPORK_READY) {
        ASSERT_EQ(SPORK_OK, status) << spork_error();
        expect_to_wake(handle);
    }
    EXPECT_EQ(SPORK_READY, spork_arm(spork_on(reader), &handle));
    take(reader);
    status = spork_arm(spork_on(child.get()), &handle);
    if (status == SPORK_OK) expect_to_wake(handle);
    if (status == SPORK_UNSUPPORTED) GTEST_SKIP() << "this system has no handle for the end of a process";
    EXPECT_EQ(0, child.join());
    EXPECT_EQ(SPORK_READY, spork_arm(spork_on(child.get()), &handle));
    spork_connection_free(reader);
    spork_connection_free(writer);
}

// Those who wait for one queue by handles, by sleeping and by looking, all get their share, and none is left asleep.
TEST(Wait, ManyProcessesWaitForOneQueueInDifferentWays)
{
    spork_queue *queue = spork_queue_new(0, 0), *done = spork_queue_new(0, 0);
    std::vector<std::unique_ptr<Child>> children;
    for (int i = 0; i < 4; i++) {
        children.push_back(
            std::make_unique<Child>(target_drain, spork_pack(spork_get_only(queue), spork_put_only(done), i)));
        ASSERT_EQ(SPORK_OK, children.back()->start()) << spork_error();
    }
    int count = harness_count(5000);
    for (int i = 0; i < count; i++)
        ASSERT_EQ(SPORK_OK, spork_queue_put(queue, spork_pack(i), kWatchdogMs)) << spork_error();
    std::vector<int> seen(static_cast<size_t>(count));
    for (int i = 0; i < count; i++) {
        spork_args *message;
        int number;
        ASSERT_EQ(SPORK_OK, spork_queue_get(done, &message, kWatchdogMs)) << "after " << i << ": " << spork_error();
        ASSERT_EQ(SPORK_OK, spork_unpack(message, &number));
        seen[static_cast<size_t>(number)]++;
        spork_args_free(message);
    }
    EXPECT_EQ(count, std::count(seen.begin(), seen.end(), 1));
    ASSERT_EQ(SPORK_OK, spork_queue_close(queue));
    for (auto &child : children) EXPECT_EQ(0, child->join());
    spork_queue_free(queue);
    spork_queue_free(done);
}

} // namespace
