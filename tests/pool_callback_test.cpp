// Callbacks of a pool, on its thread or in a loop of the program's own, and the bound to what is pending. Runs once under each start method.
#include "pool_case.h"

namespace {

// ---- callbacks ----

class PoolCallback : public Both {};
FOR_BOTH(PoolCallback);

TEST_P(PoolCallback, ComesOnceForEachTaskOnTheThreadOfThePool)
{
    Calls calls;
    Pool pool(2, threads());
    const spork_task_options o = calls.options();
    std::vector<Future> futures;
    for (int i = 0; i < 100; i++) {
        if (i % 2 == 0)
            futures.push_back(give(pool, pools_square, spork_pack(i), &o));
        else
            give_away(pool, pools_square, spork_pack(i), &o); // no future was asked for
    }
    EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
    EXPECT_EQ(SPORK_OK, spork_pool_join(pool, kWatchdogMs)) << spork_error(); // waits for them, too
    std::set<std::thread::id> on;
    std::multiset<int> values, expected;
    for (const Calls::Call &call : calls.all()) {
        EXPECT_EQ(SPORK_OK, call.status) << call.error;
        values.insert(call.value);
        on.insert(call.thread);
    }
    for (int i = 0; i < 100; i++) expected.insert(i * i);
    EXPECT_EQ(expected, values);
    EXPECT_EQ(1u, on.size());
    EXPECT_EQ(0u, on.count(std::this_thread::get_id()));
}

TEST_P(PoolCallback, ComesInTheOrderInWhichTasksEnd)
{
    Calls calls;
    Pool pool(1, threads());
    const spork_task_options o = calls.options();
    for (int i = 0; i < 100; i++) give_away(pool, pools_square, spork_pack(i), &o);
    calls.wait_for(100);
    std::vector<Calls::Call> all = calls.all();
    ASSERT_EQ(100u, all.size());
    for (int i = 0; i < 100; i++) EXPECT_EQ(i * i, all[static_cast<size_t>(i)].value);
}

TEST_P(PoolCallback, ComesHoweverTheTaskEnds)
{
    Calls calls;
    Board board;
    Pool pool(1, threads(), board);
    const spork_task_options o = calls.options();
    std::multiset<spork_status> expected = {SPORK_OK, SPORK_FAILED, SPORK_CANCELLED, SPORK_CLOSED, SPORK_CLOSED};
    give_away(pool, pools_square, spork_pack(3), &o);
    give_away(pool, pools_square, spork_pack(-3), &o);
    if (processes()) {
        spork_task_options limited = o;
        limited.timeout_ms = 1;
        give_away(pool, pools_crash, spork_pack("abort", 0), &o);
        give_away(pool, pools_hold, spork_pack(static_cast<int>(POOLS_WILLING), static_cast<int>(POOLS_GATE)),
                  &limited);
        expected.insert({SPORK_CRASHED, SPORK_DEADLINE});
    }
    calls.wait_for(expected.size() - 3);
    const long begun = board.get(POOLS_BEGUN);
    give_away(pool, pools_hold, spork_pack(static_cast<int>(POOLS_WILLING), static_cast<int>(POOLS_GATE)), &o);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, begun + 1));
    Future cancelled = give(pool, pools_square, spork_pack(4), &o);
    EXPECT_EQ(SPORK_OK, spork_future_cancel(cancelled));
    calls.wait_for(expected.size() - 2);
    give_away(pool, pools_square, spork_pack(5), &o); // waits when the pool is terminated
    EXPECT_EQ(SPORK_OK, spork_pool_terminate(pool));
    EXPECT_NE(SPORK_TIMEOUT, spork_pool_join(pool, kWatchdogMs)) << spork_error();
    std::multiset<spork_status> got;
    for (const Calls::Call &call : calls.all()) {
        got.insert(call.status);
        EXPECT_EQ(call.status == SPORK_OK, call.error.empty()) << call.error;
    }
    EXPECT_EQ(expected, got);
}

TEST_P(PoolCallback, HasAllComeWhenThePoolIsFreed)
{
    Calls calls;
    Board board;
    {
        Pool pool(1, threads(), board);
        const spork_task_options o = calls.options();
        give_away(pool, pools_hold, spork_pack(static_cast<int>(POOLS_WILLING), static_cast<int>(POOLS_GATE)), &o);
        for (int i = 0; i < 10; i++) give_away(pool, pools_square, spork_pack(i), &o);
        board.reaches(POOLS_BEGUN, 1);
        pool.free();
        EXPECT_EQ(11u, calls.count());
    }
    linger();
    EXPECT_EQ(11u, calls.count());
}

TEST_P(PoolCallback, MayGiveTasks)
{
    std::atomic<int> rounds{0};
    Pool pool(1, threads());
    struct Chain {
        spork_pool *pool;
        std::atomic<int> *rounds;
        static void next(const spork_future *future, void *user)
        {
            auto *self = static_cast<Chain *>(user);
            int n = -1;
            if (spork_future_get(future, 0, &n) != SPORK_OK || ++*self->rounds == 100) return;
            spork_task_options o = {};
            o.done = next;
            o.user = self;
            spork_pool_apply_async(self->pool, pools_square, spork_pack(self->rounds->load()), &o, nullptr);
        }
    } chain = {pool, &rounds};
    spork_task_options o = {};
    o.done = Chain::next;
    o.user = &chain;
    give_away(pool, pools_square, spork_pack(0), &o);
    until([&] { return rounds == 100; }, "the chain breaks");
    EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << spork_error();
    EXPECT_EQ(100, rounds);
}

TEST_P(PoolCallback, MayWaitForOtherTasks)
{
    Pool pool(2, threads());
    std::vector<Future> others;
    for (int i = 0; i < 20; i++) others.push_back(give(pool, pools_spin, spork_pack(1000, i)));
    Act act([&](const spork_future *) {
        for (int i = 0; i < 20; i++) EXPECT_EQ(i, value_of<int>(others[static_cast<size_t>(i)]));
        EXPECT_EQ(9, square(pool, 3));
        spork_args *result = nullptr;
        EXPECT_EQ(SPORK_OK, spork_pool_apply(pool, pools_square, spork_pack(4), &result, kWatchdogMs)) << spork_error();
        spork_args_free(result);
        int64_t in[10] = {1, 2, 3}, out[10] = {};
        EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_square, in, out, 10, nullptr)) << spork_error();
        EXPECT_EQ(9, out[2]);
        Future cancelled = give(pool, pools_spin, spork_pack(1000000, 0));
        EXPECT_EQ(SPORK_OK, spork_future_cancel(cancelled)) << spork_error();
        EXPECT_EQ(SPORK_CANCELLED, how(cancelled));
        spork_pool_counters counters;
        EXPECT_EQ(SPORK_OK, spork_pool_count(pool, &counters));
    });
    const spork_task_options o = act.options();
    give_away(pool, pools_square, spork_pack(2), &o);
    act.wait();
}

// The keeper, which sees to workers, is in the callback.
TEST_P(PoolCallback, MayWaitForTasksWhoseWorkersDieOrAreReplacedMeanwhile)
{
    Board board;
    spork_pool_options o = options_of(1, threads(), board);
    o.max_tasks_per_child = 1;
    o.retries = 1;
    Pool pool(o, board);
    Act act([&](const spork_future *) {
        for (int i = 0; i < 3; i++) EXPECT_EQ(9, square(pool, 3));
        if (!threads()) {
            EXPECT_EQ(2u, value_of<unsigned>(give(pool, pools_crash_until, spork_pack("kill", 2u))));
        }
    });
    const spork_task_options task = act.options();
    give_away(pool, pools_square, spork_pack(2), &task);
    act.wait();
}

TEST_P(PoolCallback, MayNotJoinItsOwnPool)
{
    Pool pool(1, threads());
    Act act([&](const spork_future *) {
        EXPECT_EQ(SPORK_BAD_STATE, spork_pool_join(pool, 0));
        EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
        EXPECT_EQ(SPORK_BAD_STATE, spork_pool_join(pool, SPORK_FOREVER));
        EXPECT_TRUE(says("callback"));
    });
    const spork_task_options o = act.options();
    give_away(pool, pools_square, spork_pack(2), &o);
    act.wait();
    EXPECT_EQ(SPORK_OK, spork_pool_join(pool, kWatchdogMs)) << spork_error();
}

TEST_P(PoolCallback, MayJoinAnotherPool)
{
    Pool pool(1, threads()), other(1, threads());
    Act act([&](const spork_future *) {
        EXPECT_EQ(9, square(other, 3));
        EXPECT_EQ(SPORK_OK, spork_pool_close(other));
        EXPECT_EQ(SPORK_OK, spork_pool_join(other, kWatchdogMs)) << spork_error();
    });
    const spork_task_options o = act.options();
    give_away(pool, pools_square, spork_pack(2), &o);
    act.wait();
}

TEST_P(PoolCallback, MayEndThePool)
{
    struct Way {
        const char *name;
        std::function<spork_status(spork_pool *)> end;
        spork_status waiting;
    };
    const Way ways[] = {{"close", [](spork_pool *p) { return spork_pool_close(p); }, SPORK_OK},
                        {"terminate", [](spork_pool *p) { return spork_pool_terminate(p); }, SPORK_CLOSED},
                        {"shutdown", [](spork_pool *p) { return spork_pool_shutdown(p, kWatchdogMs); }, SPORK_OK},
                        {"shutdown at once", [](spork_pool *p) { return spork_pool_shutdown(p, 0); }, SPORK_CLOSED}};
    for (const Way &way : ways) {
        SCOPED_TRACE(way.name);
        Board board;
        Pool pool(2, threads(), board);
        Future held = give_held(pool, POOLS_WILLING); // keeps one worker, while the other's end calls back
        ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
        Act act([&](const spork_future *) {
            EXPECT_EQ(SPORK_OK, way.end(pool)) << spork_error(); // does not wait for what is held
            expect_refused(SPORK_CLOSED, pool, pools_square, spork_pack(3));
        });
        const spork_task_options o = act.options();
        give_away(pool, pools_square, spork_pack(2), &o);
        act.wait();
        if (way.waiting == SPORK_OK) {
            EXPECT_EQ(SPORK_TIMEOUT, spork_future_status(held));
            board.open(POOLS_GATE);
        }
        EXPECT_EQ(way.waiting, how(held));
        EXPECT_EQ(SPORK_OK, spork_pool_join(pool, kWatchdogMs)) << spork_error();
    }
}

TEST_P(PoolCallback, MayFreeThePool)
{
    for (bool ended_before : {false, true}) {
        Board board;
        Pool pool(2, threads(), board);
        spork_pool *raw = pool.release();
        Future held = give_held(raw, POOLS_WILLING);
        ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
        Act act([&](const spork_future *future) {
            if (ended_before) {
                EXPECT_EQ(SPORK_OK, spork_pool_terminate(raw));
            }
            spork_pool_free(raw);
            EXPECT_EQ(4, value_of<int>(future)); // valid until this returns
        });
        const spork_task_options o = act.options();
        give_away(raw, pools_square, spork_pack(2), &o);
        act.wait();
        EXPECT_EQ(SPORK_CLOSED, how(held));
        if (processes()) until_gone(board.pid());
    } // and the books are balanced
}

// ---- callbacks in a loop of the program's own ----

class PoolPoll : public Both {
  protected:
    static spork_pool_options manual(unsigned workers, const Board &board)
    {
        spork_pool_options o = options_of(workers, threads(), board);
        o.manual_callbacks = true;
        return o;
    }
};
FOR_BOTH(PoolPoll);

TEST_P(PoolPoll, RunsCallbacksInThisThreadAndOnlyThere)
{
    Calls calls;
    Board board;
    Pool pool(manual(1, board), board);
    EXPECT_EQ(SPORK_TIMEOUT, spork_pool_poll(pool, 0));
    EXPECT_EQ(SPORK_TIMEOUT, spork_pool_poll(pool, 20));
    const spork_task_options o = calls.options();
    std::vector<Future> futures;
    for (int i = 0; i < 10; i++) futures.push_back(give(pool, pools_square, spork_pack(i), &o));
    for (const Future &future : futures) EXPECT_EQ(SPORK_OK, how(future));
    linger();
    EXPECT_EQ(0u, calls.count());
    while (calls.count() < 10 && !HasFailure()) {
        ASSERT_EQ(SPORK_OK, spork_pool_poll(pool, kWatchdogMs)) << spork_error();
    }
    EXPECT_EQ(SPORK_TIMEOUT, spork_pool_poll(pool, 0));
    EXPECT_EQ(10u, calls.count());
    int i = 0;
    for (const Calls::Call &call : calls.all()) {
        EXPECT_EQ(std::this_thread::get_id(), call.thread);
        EXPECT_EQ(i * i, call.value);
        i++;
    }
}

TEST_P(PoolPoll, WaitsForTheFirstCallback)
{
    Calls calls;
    Board board;
    Pool pool(manual(1, board), board);
    const spork_task_options o = calls.options();
    Future held =
        give(pool, pools_hold, spork_pack(static_cast<int>(POOLS_STUBBORN), static_cast<int>(POOLS_GATE)), &o);
    EXPECT_EQ(SPORK_TIMEOUT, spork_pool_poll(pool, 20));
    Thread opener([&] {
        linger();
        board.open(POOLS_GATE);
    });
    EXPECT_EQ(SPORK_OK, spork_pool_poll(pool, SPORK_FOREVER)) << spork_error();
    EXPECT_EQ(1u, calls.count());
}

TEST_P(PoolPoll, TellsWhenNoneWillCome)
{
    Calls calls;
    Board board;
    Pool pool(manual(1, board), board);
    const spork_task_options o = calls.options();
    Future held =
        give(pool, pools_hold, spork_pack(static_cast<int>(POOLS_STUBBORN), static_cast<int>(POOLS_GATE)), &o);
    EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
    EXPECT_EQ(SPORK_TIMEOUT, spork_pool_poll(pool, 20)); // one will
    board.open(POOLS_GATE);
    EXPECT_EQ(SPORK_OK, how(held));
    EXPECT_EQ(SPORK_OK, spork_pool_poll(pool, kWatchdogMs)) << spork_error();
    EXPECT_EQ(SPORK_CLOSED, spork_pool_poll(pool, SPORK_FOREVER));
    EXPECT_EQ(SPORK_CLOSED, spork_pool_poll(pool, 0));
    EXPECT_EQ(SPORK_OK, spork_pool_join(pool, kWatchdogMs)) << spork_error();
    EXPECT_EQ(SPORK_CLOSED, spork_pool_poll(pool, 0));
}

TEST_P(PoolPoll, IsWokenWhenThePoolEnds)
{
    Board board;
    Pool pool(manual(1, board), board);
    Thread closer([&] {
        linger();
        EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
    });
    EXPECT_EQ(SPORK_CLOSED, spork_pool_poll(pool, SPORK_FOREVER));
}

TEST_P(PoolPoll, IsRefusedByAPoolWithAThreadForCallbacks)
{
    Pool pool(1, threads());
    EXPECT_EQ(SPORK_BAD_STATE, spork_pool_poll(pool, 0));
    EXPECT_STRNE("", spork_error());
    EXPECT_EQ(-1, spork_pool_handle(pool));
    EXPECT_EQ(SPORK_BAD_STATE, spork_last_status());
}

TEST_P(PoolPoll, IsDoneByJoinAndByShutdown)
{
    for (bool by_shutdown : {false, true}) {
        Calls calls;
        Board board;
        Pool pool(manual(2, board), board);
        const spork_task_options o = calls.options();
        for (int i = 0; i < 20; i++) give_away(pool, pools_square, spork_pack(i), &o);
        if (by_shutdown) {
            EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << spork_error();
        } else {
            EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
            EXPECT_EQ(SPORK_OK, spork_pool_join(pool, kWatchdogMs)) << spork_error();
        }
        EXPECT_EQ(20u, calls.count());
        for (const Calls::Call &call : calls.all()) EXPECT_EQ(std::this_thread::get_id(), call.thread);
    }
}

TEST_P(PoolPoll, MayEndOrFreeThePoolInACallback)
{
    for (bool is_freed : {false, true}) {
        Board board;
        Pool pool(manual(2, board), board);
        spork_pool *raw = is_freed ? pool.release() : pool.get();
        Future held = give_held(raw, POOLS_WILLING);
        ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
        Act act([&](const spork_future *future) {
            if (is_freed)
                spork_pool_free(raw);
            else {
                EXPECT_EQ(SPORK_BAD_STATE, spork_pool_join(raw, 0));
                EXPECT_EQ(SPORK_OK, spork_pool_shutdown(raw, 0));
                EXPECT_EQ(SPORK_BAD_STATE, spork_pool_join(raw, 0));
            }
            EXPECT_EQ(4, value_of<int>(future));
        });
        const spork_task_options o = act.options();
        give_away(raw, pools_square, spork_pack(2), &o);
        EXPECT_EQ(SPORK_OK, spork_pool_poll(raw, kWatchdogMs)) << spork_error();
        act.wait();
        EXPECT_EQ(SPORK_CLOSED, how(held));
        if (processes()) until_gone(board.pid());
    }
}

TEST_P(PoolPoll, MayBeDoneBySeveralThreads)
{
    Calls calls;
    Board board;
    Pool pool(manual(2, board), board);
    const spork_task_options o = calls.options();
    {
        std::vector<std::unique_ptr<Thread>> pollers;
        for (int i = 0; i < 4; i++)
            pollers.push_back(std::make_unique<Thread>([&] {
                while (spork_pool_poll(pool, kWatchdogMs) == SPORK_OK) {}
            }));
        for (int i = 0; i < 200; i++) give_away(pool, pools_square, spork_pack(i), &o);
        EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
    }
    EXPECT_EQ(200u, calls.count());
    std::set<int> values;
    for (const Calls::Call &call : calls.all()) values.insert(call.value);
    EXPECT_EQ(200u, values.size()); // each once
}

TEST_P(PoolPoll, HasAHandleThatIsReadyAsLongAsCallbacksAreDue)
{
    Calls calls;
    Board board;
    Pool pool(manual(1, board), board);
    const spork_native handle = spork_pool_handle(pool);
    ASSERT_NE(-1, handle) << spork_error();
    spork_wait_item item = spork_on(pool.get());
    EXPECT_FALSE(pools_ready(handle, 20));
    EXPECT_EQ(SPORK_TIMEOUT, spork_wait(&item, 1, 0));
    EXPECT_EQ(9, square(pool, 3)); // nobody wants to be called
    EXPECT_FALSE(pools_ready(handle, 20));
    const spork_task_options o = calls.options();
    for (size_t round = 1; round <= 3; round++) {
        give_away(pool, pools_square, spork_pack(3), &o);
        EXPECT_TRUE(pools_ready(handle, kWatchdogMs));
        EXPECT_TRUE(pools_ready(handle, 0)); // it stays so
        EXPECT_EQ(SPORK_OK, spork_wait(&item, 1, 0)) << spork_error();
        EXPECT_TRUE(item.ready);
        EXPECT_EQ(round - 1, calls.count());
        EXPECT_EQ(SPORK_OK, spork_pool_poll(pool, 0)) << spork_error();
        EXPECT_EQ(round, calls.count());
        EXPECT_FALSE(pools_ready(handle, 20));
        EXPECT_EQ(SPORK_TIMEOUT, spork_wait(&item, 1, 0));
        EXPECT_EQ(handle, spork_pool_handle(pool));
    }
}

TEST_P(PoolPoll, ServesALoopOfTheProgramsOwn)
{
    Calls calls;
    Board board;
    Pool pool(manual(2, board), board);
    const spork_native handle = spork_pool_handle(pool);
    const spork_task_options o = calls.options();
    const size_t many = static_cast<size_t>(harness_count(2000));
    Thread giver([&] {
        for (size_t i = 0; i < many; i++) give_away(pool, pools_square, spork_pack(2), &o);
    });
    while (calls.count() < many && !HasFailure()) {
        ASSERT_TRUE(pools_ready(handle, kWatchdogMs)) << calls.count() << " of " << many;
        spork_status status = spork_pool_poll(pool, 0);
        ASSERT_TRUE(status == SPORK_OK || status == SPORK_TIMEOUT) << spork_error();
    }
    giver.join();
    EXPECT_FALSE(pools_ready(handle, 0));
    EXPECT_EQ(many, calls.count());
}

TEST_P(PoolPoll, IsWaitedForBesideOtherThings)
{
    Calls calls;
    Board board;
    Pool pool(manual(1, board), board);
    spork_queue *queue = spork_queue_new(0, 0);
    const spork_task_options o = calls.options();
    Future held =
        give(pool, pools_hold, spork_pack(static_cast<int>(POOLS_STUBBORN), static_cast<int>(POOLS_GATE)), &o);
    spork_wait_item items[] = {spork_on(queue), spork_on(pool.get())};
    EXPECT_EQ(SPORK_TIMEOUT, spork_wait(items, 2, 20));
    Thread opener([&] {
        linger();
        board.open(POOLS_GATE);
    });
    EXPECT_EQ(SPORK_OK, spork_wait(items, 2, kWatchdogMs)) << spork_error();
    EXPECT_FALSE(items[0].ready);
    EXPECT_TRUE(items[1].ready);
    spork_native armed = 0;
    EXPECT_EQ(SPORK_READY, spork_arm(items[1], &armed)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_pool_poll(pool, 0)) << spork_error();
    spork_queue_free(queue);
}

// ---- a bound to what is pending ----

class PoolBound : public Both {
  protected:
    static spork_pool_options bounded(unsigned workers, size_t max_pending, const Board &board)
    {
        spork_pool_options o = options_of(workers, threads(), board);
        o.max_pending = max_pending;
        return o;
    }
    static std::vector<Future> fill(spork_pool *pool, size_t many)
    {
        std::vector<Future> held;
        for (size_t i = 0; i < many; i++)
            held.push_back(give_held(pool, POOLS_STUBBORN, POOLS_FREE + static_cast<int>(i)));
        return held;
    }
    static spork_task_options no_wait()
    {
        spork_task_options o = {};
        o.no_wait = true;
        return o;
    }
    static spork_task_options room_within(int ms)
    {
        spork_task_options o = {};
        o.room_timeout_ms = ms;
        return o;
    }
};
FOR_BOTH(PoolBound);

TEST_P(PoolBound, KeepsTheNinthOutsideAndTellsItSo)
{
    Board board;
    Pool pool(bounded(2, 8, board), board);
    std::vector<Future> held = fill(pool, 8);
    const spork_task_options at_once = no_wait(), soon = room_within(20);
    expect_refused(SPORK_TIMEOUT, pool, pools_square, spork_pack(3), &at_once);
    expect_refused(SPORK_TIMEOUT, pool, pools_square, spork_pack(3), &soon);
    spork_args *result = nullptr;
    EXPECT_EQ(SPORK_TIMEOUT, spork_pool_apply(pool, pools_square, spork_pack(3), &result, 20));
    EXPECT_EQ(8u, count(pool).submitted);
    EXPECT_EQ(8u, count(pool).pending);
    board.open(POOLS_FREE); // one ends
    EXPECT_EQ(SPORK_OK, how(held[0]));
    Future ninth = give_held(pool, POOLS_STUBBORN, POOLS_GATE);
    expect_refused(SPORK_TIMEOUT, pool, pools_square, spork_pack(3), &at_once);
    board.open();
    for (const Future &future : held) EXPECT_EQ(SPORK_OK, how(future));
    EXPECT_EQ(SPORK_OK, how(ninth));
    EXPECT_EQ(16, value_of<int>(give(pool, pools_square, spork_pack(4), &at_once)));
}

TEST_P(PoolBound, LetsWhoWaitsInAsSoonAsThereIsRoom)
{
    Board board;
    Pool pool(bounded(1, 1, board), board);
    std::vector<Future> held = fill(pool, 1);
    std::atomic<int> in{0};
    {
        std::vector<std::unique_ptr<Thread>> waiting;
        for (int i = 0; i < 4; i++)
            waiting.push_back(std::make_unique<Thread>([&, i] {
                const spork_task_options o = room_within(i % 2 == 0 ? 0 : kWatchdogMs);
                Future future = give(pool, pools_square, spork_pack(i), &o);
                in++;
                EXPECT_EQ(i * i, value_of<int>(future));
            }));
        linger();
        EXPECT_EQ(0, in);
        board.open();
    }
    EXPECT_EQ(4, in);
    EXPECT_EQ(5u, count(pool).completed);
}

TEST_P(PoolBound, LetsWhoWaitsInWhenATaskIsCancelled)
{
    Board board;
    Pool pool(bounded(1, 2, board), board);
    std::vector<Future> held = fill(pool, 2);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    Thread canceller([&] {
        linger();
        EXPECT_EQ(SPORK_OK, spork_future_cancel(held[1]));
    });
    Future third = give(pool, pools_square, spork_pack(3));
    board.open();
    EXPECT_EQ(9, value_of<int>(third));
}

TEST_P(PoolBound, SendsWhoWaitsAwayWhenThePoolEnds)
{
    for (bool terminate : {false, true}) {
        Board board;
        Pool pool(bounded(1, 1, board), board);
        std::vector<Future> held = fill(pool, 1);
        {
            std::vector<std::unique_ptr<Thread>> waiting;
            for (int i = 0; i < 2; i++)
                waiting.push_back(
                    std::make_unique<Thread>([&] { expect_refused(SPORK_CLOSED, pool, pools_square, spork_pack(3)); }));
            linger();
            EXPECT_EQ(SPORK_OK, terminate ? spork_pool_terminate(pool) : spork_pool_close(pool));
        }
        board.open();
        EXPECT_EQ(terminate ? SPORK_CLOSED : SPORK_OK, how(held[0]));
    }
}

TEST_P(PoolBound, SendsWhoWaitsAwayWhenThePoolBreaks)
{
    Board board;
    spork_pool_options o = bounded(1, 1, board);
    o.initializer = pools_init_how;
    o.initargs = spork_pack(board.shm(), "door", 5); // fails once it is open
    Pool pool(o, board);
    Future first = give(pool, pools_square, spork_pack(3));
    Thread opener([&] {
        linger();
        board.open(POOLS_DOOR);
    });
    spork_future *raw = nullptr;
    spork_status status = spork_pool_apply_async(pool, pools_square, spork_pack(3), nullptr, &raw);
    Future second(raw);
    EXPECT_EQ(SPORK_BROKEN, status == SPORK_OK ? how(second) : status) << spork_error(); // the first may have made room
    EXPECT_EQ(SPORK_BROKEN, how(first));
}

TEST_P(PoolBound, IsNotInTheWayOfCallbacks)
{
    Board board;
    Pool pool(bounded(1, 1, board), board);
    Act act([&](const spork_future *) {
        for (int i = 0; i < 5; i++) // each of them has to wait for the one before
            give_away(pool, pools_count, spork_pack(static_cast<int>(POOLS_FREE)));
    });
    const spork_task_options o = act.options();
    give_away(pool, pools_square, spork_pack(2), &o);
    act.wait();
    board.reaches(POOLS_FREE, 5);
}

TEST_P(PoolBound, IsNotInTheWayOfMapAndImap)
{
    Board board;
    Pool pool(bounded(2, 1, board), board);
    std::vector<int64_t> in(100), out(100);
    for (size_t i = 0; i < in.size(); i++) in[i] = static_cast<int64_t>(i);
    EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_square, in.data(), out.data(), in.size(), nullptr))
        << spork_error();
    EXPECT_EQ(99 * 99, out[99]);
    int drawn = 0;
    spork_imap *imap = spork_pool_imap(
        pool, pools_square,
        [](void *user, spork_args *next) {
            int n = (*static_cast<int *>(user))++;
            *next = spork_pack(n);
            return n < 20 ? SPORK_OK : SPORK_CLOSED;
        },
        &drawn, 4, true);
    ASSERT_NE(nullptr, imap) << spork_error();
    const spork_future *result = nullptr;
    for (int i = 0; i < 20; i++) {
        ASSERT_EQ(SPORK_OK, spork_imap_next(imap, &result, kWatchdogMs)) << spork_error();
        EXPECT_EQ(i * i, value_of<int>(result));
    }
    EXPECT_EQ(SPORK_CLOSED, spork_imap_next(imap, &result, kWatchdogMs));
    spork_imap_free(imap);
}

} // namespace
