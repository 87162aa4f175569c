// How a pool ends, in whatever state; what it counts and tells; many pools, and programs with pools. Runs once under each start method.
#include "fault.h"
#include "pool_case.h"

namespace {

// ---- closing, terminating, joining ----

class PoolEnd : public Both {};
FOR_BOTH(PoolEnd);

TEST_P(PoolEnd, ByCloseDoesWhatWasGivenAndTakesNoMore)
{
    Board board;
    Pool pool(2, threads(), board);
    std::vector<Future> futures;
    futures.push_back(give_held(pool));
    for (int i = 0; i < 50; i++) futures.push_back(give(pool, pools_square, spork_pack(i)));
    EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
    expect_refused(SPORK_CLOSED, pool, pools_square, spork_pack(3));
    spork_args *result = nullptr;
    EXPECT_EQ(SPORK_CLOSED, spork_pool_apply(pool, pools_square, spork_pack(3), &result, kWatchdogMs));
    EXPECT_EQ(nullptr, result);
    EXPECT_EQ(SPORK_TIMEOUT, spork_pool_join(pool, 0));
    EXPECT_EQ(SPORK_TIMEOUT, spork_pool_join(pool, 20));
    EXPECT_STRNE("", spork_error());
    EXPECT_EQ(SPORK_OK, spork_pool_close(pool)); // it is, already
    board.open(POOLS_GATE);
    EXPECT_EQ(SPORK_OK, spork_pool_join(pool, kWatchdogMs)) << spork_error();
    for (int i = 0; i < 50; i++) {
        const Future &future = futures[static_cast<size_t>(i) + 1];
        EXPECT_EQ(SPORK_OK, spork_future_status(future)); // all is done
        EXPECT_EQ(i * i, value_of<int>(future));
    }
    EXPECT_EQ(0u, count(pool).workers);
    if (processes()) {
        EXPECT_FALSE(harness_pid_exists(board.pid())); // and they have ended
    }
    EXPECT_EQ(SPORK_OK, spork_pool_join(pool, 0)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
    EXPECT_EQ(SPORK_OK, spork_pool_terminate(pool));
    EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, 0));
}

TEST_P(PoolEnd, HasToBegin)
{
    Pool pool(1, threads());
    EXPECT_EQ(SPORK_BAD_STATE, spork_pool_join(pool, 0));
    EXPECT_EQ(SPORK_BAD_STATE, spork_pool_join(pool, SPORK_FOREVER));
    EXPECT_TRUE(says("close"));
    EXPECT_EQ(9, square(pool, 3));
}

TEST_P(PoolEnd, IsWaitedForBySeveralThreads)
{
    Board board;
    Pool pool(2, threads(), board);
    Future held = give_held(pool);
    EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
    std::atomic<int> joined{0};
    {
        std::vector<std::unique_ptr<Thread>> waiting;
        for (int i = 0; i < 4; i++)
            waiting.push_back(
                std::make_unique<Thread>([&] { joined += spork_pool_join(pool, kWatchdogMs) == SPORK_OK; }));
        board.reaches(POOLS_BEGUN, 1);
        linger();
        EXPECT_EQ(0, joined);
        board.open(POOLS_GATE);
    }
    EXPECT_EQ(4, joined);
}

TEST_P(PoolEnd, ByTerminateClosesWhatHasNotEnded)
{
    Board board;
    Pool pool(1, threads(), board);
    Future fine = give(pool, pools_square, spork_pack(3));
    EXPECT_EQ(9, value_of<int>(fine));
    Future running = give_held(pool), waiting = give(pool, pools_count, spork_pack(static_cast<int>(POOLS_FREE)));
    const spork_task_options again = with_retries(5);
    Future retried = give(pool, pools_count, spork_pack(static_cast<int>(POOLS_FREE)), &again);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    EXPECT_EQ(SPORK_OK, spork_pool_terminate(pool)); // does not wait
    EXPECT_EQ(SPORK_OK, spork_pool_terminate(pool));
    EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
    expect_refused(SPORK_CLOSED, pool, pools_square, spork_pack(3));
    EXPECT_EQ(SPORK_CLOSED, how(waiting));
    EXPECT_EQ(SPORK_CLOSED, how(retried));
    EXPECT_EQ(0, death_of(waiting).pid);
    if (threads()) {
        board.reaches(POOLS_ASKED, 1);
        EXPECT_EQ(SPORK_TIMEOUT, spork_pool_join(pool, 20)); // it cannot be ended
        board.open(POOLS_GATE);
    }
    EXPECT_EQ(SPORK_CLOSED, how(running));
    EXPECT_EQ(SPORK_OK, spork_pool_join(pool, kWatchdogMs)) << spork_error();
    EXPECT_EQ(0, board.get(POOLS_FREE));
    EXPECT_EQ(SPORK_OK, spork_future_status(fine));
    if (processes()) {
        EXPECT_EQ(0, board.get(POOLS_ENDED));
        EXPECT_FALSE(harness_pid_exists(board.pid()));
        expect_terminated(death_of(running));
    }
    expect_balance(pool, 4);
}

// The keeper learns of the termination and of the task's end at once.
TEST_P(PoolEnd, ByTerminateClosesWhatEndsAfterItWhoeverIsSlow)
{
    bool slow = false;
    for (int round = 0; round < 100 && !slow && !HasFailure(); round++) {
        Board board;
        Pool pool(1, threads(), board);
        Future running = give_held(pool);
        ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
        linger(); // the keeper goes back to sleep: if it has not, it may learn of the termination before it comes to the point
        spork__point_arm_hold(SPORK__AT_KEEPER_AWAKE, 1);
        EXPECT_EQ(SPORK_OK, spork_pool_terminate(pool));
        until([] { return spork__point_held(); }, "the keeper is not called");
        board.open();
        until(
            [&] {
                slow = spork_future_wait(running, 0) == SPORK_OK;
                return slow || !harness_pid_exists(board.pid()); // then the keeper was quick, and has terminated it
            },
            "the task does not end");
        if (slow) {
            EXPECT_EQ(SPORK_CLOSED, how(running));
        }
        spork__point_release();
        spork__point_arm(SPORK__POINT_NONE, 0);
        EXPECT_EQ(SPORK_OK, spork_pool_join(pool, kWatchdogMs)) << spork_error();
    }
    EXPECT_TRUE(slow) << "the keeper was always quicker";
}

TEST_P(PoolEnd, ByShutdownIsDoneIfThereIsTime)
{
    for (int ms : {kWatchdogMs, SPORK_FOREVER}) {
        Pool pool(2, threads());
        std::vector<Future> futures;
        for (int i = 0; i < 50; i++) futures.push_back(give(pool, pools_spin, spork_pack(500, i)));
        EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, ms)) << spork_error();
        for (int i = 0; i < 50; i++) EXPECT_EQ(i, value_of<int>(futures[static_cast<size_t>(i)]));
        EXPECT_EQ(0u, count(pool).workers);
        expect_refused(SPORK_CLOSED, pool, pools_square, spork_pack(3));
        EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, 0));
        EXPECT_EQ(SPORK_OK, spork_pool_join(pool, 0));
    }
}

TEST_P(PoolEnd, ByShutdownAsksBeforeItEnds)
{
    for (int ms = 1600;; ms *= 4) { // they are asked with a quarter of it left: where that is too little, with more
        Board board;
        Pool pool(2, threads(), board);
        std::vector<Future> futures;
        for (int i = 0; i < 2; i++) futures.push_back(give_held(pool, POOLS_WILLING));
        ASSERT_TRUE(board.reaches(POOLS_BEGUN, 2));
        spork_status status = spork_pool_shutdown(pool, ms);
        EXPECT_TRUE(status == SPORK_OK || status == SPORK_TIMEOUT) << spork_error();
        for (const Future &future : futures) EXPECT_NE(SPORK_TIMEOUT, how(future));
        if (board.get(POOLS_ENDED) < 2 && ms < kWatchdogMs) continue;
        EXPECT_EQ(2, board.get(POOLS_ASKED));
        EXPECT_EQ(2, board.get(POOLS_ENDED)); // by themselves
        break;
    }
}

TEST_P(PoolEnd, ByShutdownComesInTimeWhateverTheTasksDo)
{
    Board board;
    Pool pool(2, threads(), board);
    std::vector<Future> futures;
    for (int i = 0; i < 6; i++)
        futures.push_back(give_held(pool, i == 0 && !windows() && processes() ? POOLS_DEAF : POOLS_STUBBORN));
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 2));
    EXPECT_EQ(SPORK_TIMEOUT, spork_pool_shutdown(pool, 100));
    EXPECT_STRNE("", spork_error());
    for (size_t i = 2; i < 6; i++) EXPECT_EQ(SPORK_CLOSED, how(futures[i])); // they never began
    if (threads()) {
        EXPECT_EQ(SPORK_TIMEOUT, spork_pool_shutdown(pool, 0)); // they cannot be ended
        board.open(POOLS_GATE);
    }
    for (size_t i = 0; i < 2; i++) EXPECT_EQ(SPORK_CLOSED, how(futures[i]));
    EXPECT_EQ(SPORK_OK, spork_pool_join(pool, kWatchdogMs)) << spork_error();
    EXPECT_EQ(2, board.get(POOLS_BEGUN));
}

TEST_P(PoolEnd, ByShutdownFromSeveralThreadsIsOneEnd)
{
    Board board;
    Pool pool(2, threads(), board);
    std::vector<Future> futures;
    for (int i = 0; i < 4; i++) futures.push_back(give_held(pool, POOLS_WILLING));
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 2));
    {
        std::vector<std::unique_ptr<Thread>> enders;
        for (int ms : {50, 100, 0, kWatchdogMs})
            enders.push_back(std::make_unique<Thread>([&, ms] {
                spork_status status = spork_pool_shutdown(pool, ms);
                EXPECT_TRUE(status == SPORK_OK || status == SPORK_TIMEOUT) << spork_error();
            }));
    }
    for (const Future &future : futures) { // some may have been asked, and have returned
        spork_status status = how(future);
        EXPECT_TRUE(status == SPORK_CLOSED || status == SPORK_OK) << spork_status_name(status);
    }
    EXPECT_EQ(SPORK_OK, spork_pool_join(pool, kWatchdogMs)) << spork_error();
}

// Whatever state a pool is in, however it is ended: it ends, all futures have ended, and nobody is left.
class PoolEndOf : public Both {
  protected:
    enum State { FRESH, IDLE, FULL, WILLING, DEAF, STOPPED, ASLEEP, STARTING, CRASHED, CLOSED, TERMINATED, STATES };
    static const char *name_of(int state)
    {
        static const char *const names[] = {
            "fresh",    "idle",    "full",   "willing",   "deaf", "stopped", "stopped without a task",
            "starting", "crashed", "closed", "terminated"};
        return names[state];
    }
    // Whether there is something that only its gate, or a kill, can end.
    static bool is_stuck(int state) { return state == FULL || state == DEAF || state == STOPPED || state == CLOSED; }
    static void for_all_states(const std::function<void(Pool &pool, const Board &board, int state)> &end)
    {
        for (int state = 0; state < STATES; state++) {
            if (threads() && (state == DEAF || state == STOPPED || state == ASLEEP || state == CRASHED)) continue;
            if (windows() && (state == DEAF || state == STOPPED || state == ASLEEP)) continue;
            SCOPED_TRACE(name_of(state));
            Board board;
            spork_pool_options o = options_of(2, threads(), board);
            if (state == STARTING) {
                o.initializer = pools_init_how;
                o.initargs = spork_pack(board.shm(), "door", 0);
            }
            Pool pool(o, board);
            std::vector<Future> futures = reach(state, pool, board);
            end(pool, board, state);
            board.open();
            for (const Future &future : futures) how(future);
            for (unsigned worker : {0u, 1u})
                if (processes() && board.pid(worker) != 0) until_gone(board.pid(worker));
        }
    }

  private:
    static std::vector<Future> reach(int state, spork_pool *pool, const Board &board)
    {
        std::vector<Future> futures;
        const int way = state == WILLING ? POOLS_WILLING : state == DEAF ? POOLS_DEAF : POOLS_STUBBORN;
        if (state == IDLE || state == ASLEEP || state == CRASHED) meet(pool, board, 2);
        if (state == ASLEEP) pools_suspend(board.pid());
        if (state == CRASHED) {
            for (int i = 0; i < 2; i++) futures.push_back(give(pool, pools_crash, spork_pack("kill", 0)));
            EXPECT_EQ(SPORK_CRASHED, how(futures[0]));
        }
        if (state == STARTING) {
            board.reaches(POOLS_STARTED, 2);
            futures.push_back(give(pool, pools_square, spork_pack(3)));
        }
        if (is_stuck(state) || state == WILLING || state == TERMINATED) {
            for (int i = 0; i < 6; i++)
                futures.push_back(state == STOPPED ? give(pool, pools_stop) : give_held(pool, way));
            board.reaches(POOLS_BEGUN, 2);
        }
        if (state == CLOSED) {
            EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
        }
        if (state == TERMINATED) {
            EXPECT_EQ(SPORK_OK, spork_pool_terminate(pool));
        }
        return futures;
    }
};
FOR_BOTH(PoolEndOf);

// Threads cannot be ended: opens all gates when it is seen that they were asked to.
class LetThreadsGo {
  public:
    LetThreadsGo(const Board &board, bool threads, bool asked)
        : thread_([&board, threads, asked] {
              if (!threads) return;
              if (asked) pools_until(board, POOLS_ASKED, 1);
              linger();
              board.open();
          })
    {
    }

  private:
    Thread thread_;
};

TEST_P(PoolEndOf, AnyStateByTerminateAndJoin)
{
    for_all_states([](Pool &pool, const Board &board, int state) {
        LetThreadsGo later(board, threads(), is_stuck(state));
        EXPECT_EQ(SPORK_OK, spork_pool_terminate(pool));
        EXPECT_EQ(SPORK_OK, spork_pool_join(pool, kWatchdogMs)) << spork_error();
        EXPECT_EQ(0u, count(pool).workers);
        EXPECT_EQ(0u, count(pool).pending);
    });
}

TEST_P(PoolEndOf, AnyStateByShutdownWithLittleTimeOrNone)
{
    for (int ms : {0, 60}) {
        for_all_states([=](Pool &pool, const Board &, int state) {
            spork_status status = spork_pool_shutdown(pool, ms); // and it comes back, or the test is ended
            EXPECT_TRUE(status == SPORK_OK || status == SPORK_TIMEOUT) << spork_error();
            if (is_stuck(state)) {
                EXPECT_EQ(SPORK_TIMEOUT, status);
            }
            expect_refused(SPORK_CLOSED, pool, pools_square, spork_pack(3));
        });
    }
}

TEST_P(PoolEndOf, AnyStateByFree)
{
    for_all_states([](Pool &pool, const Board &board, int state) {
        LetThreadsGo later(board, threads(), is_stuck(state));
        pool.free();
    });
}

TEST_P(PoolEndOf, AnyStateFromAnotherThread)
{
    for_all_states([](Pool &pool, const Board &board, int state) {
        LetThreadsGo later(board, threads(), is_stuck(state));
        in_a_thread([&] { EXPECT_EQ(SPORK_OK, spork_pool_terminate(pool)); });
        in_a_thread([&] { pool.free(); });
    });
}

// ---- failures that nobody looked at ----

class PoolFailure : public Both {};
FOR_BOTH(PoolFailure);

TEST_P(PoolFailure, ThatNobodyCouldLookAtIsToldByJoinAndInTheLog)
{
    Pool pool(1, threads());
    give_away(pool, pools_square, spork_pack(3));
    give_away(pool, pools_square, spork_pack(-8));
    give_away(pool, pools_fail, spork_pack("the second reason"));
    EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
    EXPECT_EQ(SPORK_FAILED, spork_pool_join(pool, kWatchdogMs));
    EXPECT_EQ(SPORK_FAILED, spork_last_status());
    EXPECT_TRUE(says("2"));
    EXPECT_TRUE(says("-8 is negative"));
    EXPECT_TRUE(says("-8 is negative", log_text()));
}

TEST_P(PoolFailure, OfAFutureFreedUnaskedIsToldByJoin)
{
    Pool pool(1, threads());
    Future future = give(pool, pools_square, spork_pack(-8));
    until([&] { return count(pool).failed == 1; }, "it does not fail");
    future.free();
    EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
    EXPECT_EQ(SPORK_FAILED, spork_pool_join(pool, kWatchdogMs));
    EXPECT_TRUE(says("-8 is negative"));
    EXPECT_TRUE(says("-8 is negative", log_text()));
}

TEST_P(PoolFailure, OfAFutureFreedBeforeTheEndIsToldByShutdown)
{
    Board board;
    Pool pool(1, threads(), board);
    Future held = give_held(pool), future = give(pool, pools_square, spork_pack(-8));
    future.free();
    board.open(POOLS_GATE);
    EXPECT_EQ(SPORK_FAILED, spork_pool_shutdown(pool, kWatchdogMs));
    EXPECT_TRUE(says("-8 is negative"));
    EXPECT_TRUE(says("-8 is negative", log_text()));
}

TEST_P(PoolFailure, ThatSomebodyLookedAtOrStillCouldIsNot)
{
    Calls calls;
    Pool pool(1, threads());
    const spork_task_options o = calls.options();
    give_away(pool, pools_square, spork_pack(-1), &o);
    EXPECT_EQ(SPORK_FAILED, spork_pool_apply(pool, pools_square, spork_pack(-2), nullptr, kWatchdogMs));
    {
        Future checked = give(pool, pools_square, spork_pack(-3)), asked = give(pool, pools_square, spork_pack(-4)),
               seen = give(pool, pools_square, spork_pack(-5));
        int n = 0;
        EXPECT_EQ(SPORK_FAILED, spork_future_check(checked, kWatchdogMs));
        EXPECT_EQ(SPORK_FAILED, spork_future_get(asked, kWatchdogMs, &n));
        EXPECT_EQ(SPORK_FAILED, how(seen)); // its status was asked for
    }
    Future kept = give(pool, pools_square, spork_pack(-6));
    EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
    EXPECT_EQ(SPORK_OK, spork_pool_join(pool, kWatchdogMs)) << spork_error();
    EXPECT_EQ("", log_text());
    EXPECT_EQ(SPORK_FAILED, spork_future_status(kept));
    EXPECT_EQ(6u, count(pool).failed);
}

TEST_F(Processes, OfAPoolThatCrashUnseenAreToldByJoin)
{
    Pool pool(1, false);
    give_away(pool, pools_crash, spork_pack("exit", 3));
    EXPECT_EQ(SPORK_FAILED, spork_pool_shutdown(pool, kWatchdogMs));
    EXPECT_TRUE(says("1"));
    EXPECT_NE("", log_text());
}

// ---- counters ----

class PoolCount : public Both {};
FOR_BOTH(PoolCount);

TEST_P(PoolCount, TellsWhatWasGivenAndHowItEnded)
{
    Board board;
    Pool pool(2, threads(), board);
    EXPECT_EQ(all_places(2), meet(pool, board, 2));
    std::vector<Future> futures;
    for (int i = -3; i < 3; i++) futures.push_back(give(pool, pools_square, spork_pack(i)));
    for (const Future &future : futures) how(future);
    Future one = give_held(pool), other = give_held(pool), waiting = give(pool, pools_square, spork_pack(3));
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 2));
    spork_pool_counters counters = count(pool);
    EXPECT_EQ(11u, counters.submitted);
    EXPECT_EQ(5u, counters.completed);
    EXPECT_EQ(3u, counters.failed);
    EXPECT_EQ(0u, counters.crashed);
    EXPECT_EQ(0u, counters.retried);
    EXPECT_EQ(0u, counters.replaced);
    EXPECT_EQ(3u, counters.pending);
    EXPECT_EQ(2u, counters.workers);
    board.open(POOLS_GATE);
    EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << spork_error();
    counters = count(pool);
    EXPECT_EQ(8u, counters.completed);
    EXPECT_EQ(0u, counters.pending);
    EXPECT_EQ(0u, counters.workers);
    expect_balance(pool, 11);
    EXPECT_EQ(2u, spork_pool_workers(pool)); // how many it was made with
}

TEST_P(PoolCount, FitsIntoTheCountersOfAnOlderProgram)
{
    Pool pool(1, threads());
    EXPECT_EQ(9, square(pool, 3));
    spork_pool_counters counters;
    memset(&counters, 0x55, sizeof counters);
    EXPECT_EQ(SPORK_OK, spork__pool_count(pool, &counters, offsetof(spork_pool_counters, failed))) << spork_error();
    EXPECT_EQ(1u, counters.submitted);
    EXPECT_EQ(1u, counters.completed);
    EXPECT_EQ(0x5555555555555555u, counters.failed);
    EXPECT_EQ(0x5555555555555555u, counters.workers);
    Future failed = give(pool, pools_square, spork_pack(-1));
    EXPECT_EQ(SPORK_FAILED, how(failed));
    spork_death death;
    memset(&death, 0x55, sizeof death);
    EXPECT_EQ(SPORK_OK, spork__future_death(failed, &death, offsetof(spork_death, peak_rss))) << spork_error();
    EXPECT_EQ(2u, death.task);
    EXPECT_EQ(0x5555555555555555u, death.cpu_ms);
}

TEST_P(PoolCount, FitsOptionsOfAnOlderProgram)
{
    spork_pool_options o = options_of(1, threads());
    o.manual_callbacks = true; // not read
    spork_pool *raw = spork__pool_new(&o, offsetof(spork_pool_options, manual_callbacks));
    ASSERT_NE(nullptr, raw) << spork_error();
    EXPECT_EQ(-1, spork_pool_handle(raw));
    EXPECT_EQ(9, square(raw, 3));
    spork_pool_free(raw);
}

// ---- many, and in each other ----

class PoolMany : public Both {
  protected:
    void SetUp() override
    {
        warm_up(!threads()); // some use both kinds
        Both::SetUp();
    }
};
FOR_BOTH(PoolMany);

TEST_P(PoolMany, ThreadsUseOnePool)
{
    Calls calls;
    Pool pool(2, threads());
    const int rounds = harness_count(200);
    std::atomic<int> wrong{0};
    {
        std::vector<std::unique_ptr<Thread>> users;
        for (int t = 0; t < 8; t++)
            users.push_back(std::make_unique<Thread>([&, t] {
                spork_task_options o = calls.options();
                std::vector<Future> futures;
                for (int i = 0; i < rounds; i++)
                    futures.push_back(give(pool, pools_square, spork_pack(t * 1000 + i), i % 2 == 0 ? &o : nullptr));
                if (t % 2 == 0) futures.erase(futures.begin(), futures.begin() + rounds / 2);
                for (size_t k = 0; k < futures.size(); k++) {
                    int n = t * 1000 + rounds - static_cast<int>(futures.size()) + static_cast<int>(k);
                    if (value_of<int>(futures[k]) != n * n) wrong++;
                }
            }));
    }
    EXPECT_EQ(0, wrong);
    EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << spork_error();
    EXPECT_EQ(static_cast<uint64_t>(8 * rounds), count(pool).completed);
    EXPECT_EQ(static_cast<size_t>(8 * ((rounds + 1) / 2)), calls.count());
}

TEST_P(PoolMany, PoolsAreUsedAtOnce)
{
    Board board, other_board;
    Pool pool(2, threads(), board), other(2, threads(), other_board);
    std::vector<Future> futures, others;
    for (int i = 0; i < 100; i++) {
        futures.push_back(give(pool, pools_count, spork_pack(static_cast<int>(POOLS_FREE))));
        others.push_back(give(other, pools_square, spork_pack(i)));
    }
    for (int i = 0; i < 100; i++) {
        EXPECT_EQ(SPORK_OK, how(futures[static_cast<size_t>(i)]));
        EXPECT_EQ(i * i, value_of<int>(others[static_cast<size_t>(i)]));
    }
    EXPECT_EQ(100, board.get(POOLS_FREE));
    EXPECT_EQ(0, other_board.get(POOLS_FREE));
    pool.end(); // the other one goes on
    EXPECT_EQ(16, square(other, 4));
    Pool third(1, !threads());
    EXPECT_EQ(25, square(third, 5));
    EXPECT_EQ(36, square(other, 6));
}

// Who waits may have seen the last worker's end while the keeper was on its way to sleep: one of which no handle tells (no pidfd was to be had).
TEST_P(PoolMany, EndsWhereverItsKeeperIs)
{
    spork__plant(SPORK__BUG_KEEPER_DAWDLES);
    for (int i = 0; i < 4; i++) {
        spork__fault_arm_kind("pidfd_open", 1, 38 /* ENOSYS */, true);
        Pool pool(1, threads());
        EXPECT_EQ(9, square(pool, 3));
        spork__fault_arm_kind(nullptr, 0, 0, false);
        EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << spork_error();
    }
    spork__plant(SPORK__BUG_NONE);
}

// Its worker has not taken over yet, and never will.
TEST_P(PoolMany, EndsWhileItsWorkersStart)
{
    if (spork_get_start_method() == SPORK_FORKSERVER)
        GTEST_SKIP() << "skipped: what hangs would be the server, which is waited for as long as a start may take";
    harness_setenv("HARNESS_BOOTSTRAP", "hang"); // for what is started anew
    for (int pause : {0, 1, 20}) {
        Pool pool(2, threads());
        spork_sleep(pause);
        EXPECT_EQ(SPORK_OK, spork_pool_terminate(pool)) << spork_error();
        EXPECT_EQ(SPORK_OK, spork_pool_join(pool, kWatchdogMs)) << spork_error();
    }
    harness_setenv("HARNESS_BOOTSTRAP", nullptr);
}

TEST_P(PoolMany, PoolsAreUsedInEachOther)
{
#if defined(__SANITIZE_THREAD__)
    if (processes() && spork_get_start_method() == SPORK_FORK)
        GTEST_SKIP() << "skipped: ThreadSanitizer has no threads in what a program with threads has forked";
#endif
    // The other thread may hold one of its locks in the moment of the fork, and the child has no copy of that thread.
    const bool no_fork = harness_instrumented() && threads() && spork_get_start_method() == SPORK_FORK;
    Pool pool(2, threads());
    for (bool inner_threads : {false, true}) {
        if (no_fork && !inner_threads) continue; // a sanitizer's locks do not know forks
        std::vector<Future> futures;
        for (int n : {100, 50}) futures.push_back(give(pool, pools_nested, spork_pack(inner_threads, n)));
        EXPECT_EQ(328350, value_of<int64_t>(futures[0]));
        EXPECT_EQ(40425, value_of<int64_t>(futures[1]));
    }
}

TEST_P(PoolMany, TasksAreGivenByTasksOfThreads)
{
    if (processes()) GTEST_SKIP() << "skipped: a process cannot be given its pool";
    Board board;
    Pool pool(2, true, board);
    Future future = give(pool, pools_give, spork_pack(spork_pointer(pool.get()), 50));
    EXPECT_EQ(50, value_of<int>(future));
    board.reaches(POOLS_FREE, 50);
    EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << spork_error();
}

TEST_P(PoolMany, WorkersSumSquares)
{
    const unsigned many = harness_wine() || harness_instrumented() ? 70 : 200;
    Pool pool(many, threads());
    std::vector<int64_t> in(1000), out(1000);
    for (size_t i = 0; i < in.size(); i++) in[i] = static_cast<int64_t>(i);
    spork_map_options o = {};
    o.chunk = 1;
    ASSERT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_square, in.data(), out.data(), in.size(), &o)) << spork_error();
    int64_t sum = 0;
    for (int64_t n : out) sum += n;
    EXPECT_EQ(332833500, sum);
    until([&] { return count(pool).workers == many; }, "not all workers come");
}

TEST_P(PoolMany, PoolsLeaveNothingBehind)
{
    for (int i : repeat(30)) {
        Board board;
        Pool pool(2, threads(), board);
        std::vector<int64_t> in(10, i), out(10);
        std::vector<Future> futures;
        for (int n = -2; n < 5; n++) futures.push_back(give(pool, pools_square, spork_pack(n)));
        EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_square, in.data(), out.data(), in.size(), nullptr));
        if (processes() && i % 5 == 0) futures.push_back(give(pool, pools_crash, spork_pack("exit", 3)));
        if (i % 3 == 0) {
            EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
            spork_pool_join(pool, kWatchdogMs);
        } else if (i % 3 == 1)
            pool.free();
    } // and the books are balanced
    until([] { return harness_zombies() == 0; }, "zombies are left");
}

// ---- nothing, and what is not ours ----

TEST(PoolOfNobody, IsInvalidAndKeepsTheEarlierSentence)
{
    pools_make_sentence();
    const std::string before = spork_error();
    spork_pool *pool = nullptr;
    spork_future *future = nullptr;
    const spork_future *result = nullptr;
    spork_args *values = nullptr;
    spork_pool_counters counters;
    spork_death death;
    int64_t in[1] = {1}, out[1] = {5};
    int n = 5;
    EXPECT_EQ(SPORK_INVALID, spork_pool_apply_async(pool, pools_square, spork_pack(1), nullptr, &future));
    EXPECT_EQ(SPORK_INVALID, spork_pool_apply(pool, pools_square, spork_pack(1), &values, 0));
    EXPECT_EQ(SPORK_INVALID, spork_pool_map(pool, pools_item_square, in, out, 1, nullptr));
    EXPECT_EQ(nullptr, spork_pool_imap(pool, pools_square, Numbers::next, nullptr, 0, true));
    EXPECT_EQ(SPORK_INVALID, spork_imap_next(nullptr, &result, 0));
    EXPECT_EQ(SPORK_INVALID, spork_pool_close(pool));
    EXPECT_EQ(SPORK_INVALID, spork_pool_terminate(pool));
    EXPECT_EQ(SPORK_INVALID, spork_pool_join(pool, 0));
    EXPECT_EQ(SPORK_INVALID, spork_pool_shutdown(pool, 0));
    EXPECT_EQ(SPORK_INVALID, spork_pool_poll(pool, 0));
    EXPECT_EQ(SPORK_INVALID, spork_pool_count(pool, &counters));
    EXPECT_EQ(-1, spork_pool_handle(pool));
    EXPECT_EQ(0u, spork_pool_workers(pool));
    EXPECT_EQ(SPORK_INVALID, spork_future_wait(future, 0));
    EXPECT_EQ(SPORK_INVALID, spork_future_check(future, 0));
    EXPECT_EQ(SPORK_INVALID, spork_future_status(future));
    EXPECT_EQ(SPORK_INVALID, spork_future_get(future, 0, &n));
    EXPECT_EQ(SPORK_INVALID, spork_future_death(future, &death));
    EXPECT_EQ(SPORK_INVALID, spork_future_cancel(future));
    EXPECT_STREQ("", spork_future_error(future));
    EXPECT_EQ(before, spork_error());
    EXPECT_EQ(5, n);
    EXPECT_EQ(5, out[0]);
    spork_pool_free(nullptr);
    spork_imap_free(nullptr);
    spork_future_free(nullptr);
    EXPECT_EQ(before, spork_error());
    EXPECT_EQ(nullptr, spork_pool_new_with(static_cast<spork_pool_options *>(nullptr)));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    spork_wait_item items[] = {spork_on(pool), spork_on(future)};
    for (spork_wait_item &item : items) EXPECT_EQ(SPORK_INVALID, spork_wait(&item, 1, 0));
}

class PoolForked : public Both {};
FOR_BOTH(PoolForked);

TEST_P(PoolForked, IsNotTheChilds)
{
    if (windows()) GTEST_SKIP() << "skipped: Windows has no fork";
    Board board;
    Pool pool(1, threads(), board);
    Numbers source;
    source.pack = [](int) { return spork_pack(static_cast<int>(POOLS_STUBBORN), static_cast<int>(POOLS_GATE)); };
    Future ended = give(pool, pools_square, spork_pack(3)), running = give_held(pool);
    Imap imap(pool, pools_hold, &source, 1, true);
    EXPECT_EQ(SPORK_TIMEOUT, imap.next(20));
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    EXPECT_EQ(0, pools_fork_and_use(pool, running, ended, imap));
    // And the parent's has felt nothing of it.
    EXPECT_EQ(9, value_of<int>(ended));
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_status(running));
    board.open(POOLS_GATE);
    EXPECT_EQ(SPORK_OK, how(running)) << why(running);
    EXPECT_EQ(SPORK_OK, imap.next()) << spork_error();
    EXPECT_EQ(16, square(pool, 4));
    imap.free();
}

// ---- programs ----

class PoolProgram : public testing::TestWithParam<const char *> {
  protected:
    // The processes whose numbers it prints, until it says something else, which goes to `last`.
    std::vector<int> pids_of(harness_program *program)
    {
        std::vector<int> pids;
        int pid = 0;
        for (const char *line; (line = harness_line(program)) != nullptr;) {
            last = line;
            if (sscanf(line, "pid %d", &pid) != 1) break;
            pids.push_back(pid);
        }
        return pids;
    }
    std::string last;
};
INSTANTIATE_TEST_SUITE_P(With, PoolProgram, testing::Values("idle", "stubborn", "deaf", "threads"),
                         [](const auto &one) { return std::string(one.param); });

TEST_P(PoolProgram, LeavesAPoolOpenAtItsEndAndNobodyBehind)
{
    harness_program *program = harness_run("pool-open", GetParam());
    ASSERT_NE(nullptr, program);
    std::vector<int> pids = pids_of(program);
    EXPECT_EQ(2u, pids.size());
    EXPECT_EQ("main ends", last);
    EXPECT_STREQ("", harness_output(program));
    EXPECT_EQ(5, harness_wait(program));
    for (int pid : pids) until_gone(pid);
    harness_free(program);
}

TEST_P(PoolProgram, IsKilledAndTakesItsWorkersWithIt)
{
    harness_program *program = harness_run("pool-root", GetParam());
    ASSERT_NE(nullptr, program);
    std::vector<int> pids = pids_of(program);
    EXPECT_EQ(2u, pids.size());
    EXPECT_EQ("ready", last);
    for (int pid : pids) EXPECT_TRUE(harness_pid_exists(pid));
    harness_kill(program);
    for (int pid : pids) until_gone(pid);
    harness_wait(program);
    harness_free(program);
}

TEST(PoolScenario, MayEndInACallback)
{
    harness_program *program = harness_run("pool-exit", "exit");
    ASSERT_NE(nullptr, program);
    EXPECT_EQ(6, harness_wait(program));
    harness_free(program);
}

// A program in a terminal, in which somebody types.
class PoolTerminal : public testing::Test {
  protected:
    void SetUp() override
    {
        if (windows()) GTEST_SKIP() << "skipped: only POSIX has terminals that a test can have";
    }
    void TearDown() override { pools_terminal_free(terminal_); }
    void run(const char *argument)
    {
        terminal_ = pools_terminal_run("pool-terminal", argument);
        ASSERT_NE(nullptr, terminal_) << "no terminal";
        int pid = 0;
        for (const char *line; (line = pools_terminal_line(terminal_)) != nullptr && strcmp(line, "ready") != 0;)
            if (sscanf(line, "pid %d", &pid) == 1) pids_.push_back(pid);
        ASSERT_EQ(2u, pids_.size());
    }
    void expect_nobody() const
    {
        for (int pid : pids_) until_gone(pid);
    }
    static long long lines_of(const std::string &text) { return std::count(text.begin(), text.end(), '\n'); }

    pools_terminal *terminal_ = nullptr;
    std::vector<int> pids_;
};

TEST_F(PoolTerminal, EndsByCtrlCWithAtMostOneLineAndNobodyBehind)
{
    run("plain");
    if (HasFailure()) return;
    pools_terminal_type(terminal_, "\x03");
    EXPECT_EQ(-2, pools_terminal_wait(terminal_));
    expect_nobody();
    const char *errors = pools_terminal_errors(terminal_);
    ASSERT_NE(nullptr, errors) << "somebody still has its stderr";
    EXPECT_LE(lines_of(errors), 1) << errors;
}

TEST_F(PoolTerminal, LeavesCtrlCToAProgramThatHandlesIt)
{
    run("handled");
    if (HasFailure()) return;
    pools_terminal_type(terminal_, "\x03");
    for (int i = 0; i < 2; i++) {
        const char *line = pools_terminal_line(terminal_);
        ASSERT_NE(nullptr, line);
        EXPECT_STREQ("ended SPORK_OK ", line); // the workers were not disturbed
    }
    EXPECT_EQ(7, pools_terminal_wait(terminal_));
    expect_nobody();
    const char *errors = pools_terminal_errors(terminal_);
    ASSERT_NE(nullptr, errors);
    EXPECT_STREQ("", errors);
}

// ---- the picture ----

// Just enough JSON: what is there has to be right, and objects are kept flat, "args.name" for what lies deeper.
class Json {
  public:
    using Object = std::map<std::string, std::string>;
    explicit Json(const std::string &text) : at_(text.c_str()), end_(at_ + text.size())
    {
        Object top;
        right_ = value("", &top, 0) && (space(), at_ == end_);
    }
    bool right() const { return right_; }
    // All objects with a "ph", which is what events have.
    const std::vector<Object> &events() const { return events_; }

  private:
    void space()
    {
        while (at_ != end_ && strchr(" \t\r\n", *at_) != nullptr) at_++;
    }
    bool is(char c)
    {
        space();
        if (at_ == end_ || *at_ != c) return false;
        at_++;
        return true;
    }
    bool text(std::string *to)
    {
        if (!is('"')) return false;
        for (; at_ != end_ && *at_ != '"'; at_++) {
            if (static_cast<unsigned char>(*at_) < 0x20) return false;
            if (*at_ == '\\') {
                if (++at_ == end_ || strchr("\"\\/bfnrtu", *at_) == nullptr) return false;
                if (*at_ == 'u') {
                    for (int i = 0; i < 4; i++)
                        if (++at_ == end_ || !isxdigit(static_cast<unsigned char>(*at_))) return false;
                }
            }
            *to += *at_;
        }
        return is('"');
    }
    bool number(std::string *to)
    {
        char *stop = nullptr;
        std::string rest(at_, std::min(end_, at_ + 40));
        if (rest.empty() || (rest[0] != '-' && !isdigit(static_cast<unsigned char>(rest[0])))) return false;
        (void)strtod(rest.c_str(), &stop);
        size_t length = static_cast<size_t>(stop - rest.c_str());
        *to = rest.substr(0, length);
        at_ += length;
        return length > 0;
    }
    bool word(const char *word, std::string *to)
    {
        size_t length = strlen(word);
        if (static_cast<size_t>(end_ - at_) < length || strncmp(at_, word, length) != 0) return false;
        at_ += length;
        *to = word;
        return true;
    }
    bool value(const std::string &name, Object *into, int depth)
    {
        space();
        if (depth > 20 || at_ == end_) return false;
        if (*at_ == '{') return object(name, into, depth);
        if (*at_ == '[') {
            if (!is('[')) return false;
            if (is(']')) return true;
            do {
                Object element;
                if (!value("", &element, depth + 1)) return false;
            } while (is(','));
            return is(']');
        }
        std::string plain;
        if (!(*at_ == '"' ? text(&plain)
                          : word("true", &plain) || word("false", &plain) || word("null", &plain) || number(&plain)))
            return false;
        (*into)[name] = plain;
        return true;
    }
    bool object(const std::string &name, Object *into, int depth)
    {
        Object own;
        if (!is('{')) return false;
        if (!is('}')) {
            do {
                std::string key;
                if (!text(&key) || !is(':') || !value(key, &own, depth + 1)) return false;
            } while (is(','));
            if (!is('}')) return false;
        }
        if (own.count("ph") != 0) events_.push_back(own);
        for (const auto &one : own) (*into)[name + "." + one.first] = one.second;
        return true;
    }
    const char *at_, *end_;
    bool right_ = false;
    std::vector<Object> events_;
};

std::string lower(std::string text)
{
    for (char &c : text) c = static_cast<char>(tolower(static_cast<unsigned char>(c)));
    return text;
}

class PoolTrace : public testing::TestWithParam<bool> {};
FOR_BOTH(PoolTrace);

TEST_P(PoolTrace, IsAFileOfEventsWithARowForEachWorkerAndASpanForEachTask)
{
    const std::string file = testing::TempDir() + "spork-trace-" + std::to_string(spork_getpid()) + ".json";
    remove(file.c_str());
    harness_setenv("SPORK_TRACE", file.c_str());
    harness_program *program = harness_run("pool-trace", GetParam() ? "threads" : "processes");
    harness_setenv("SPORK_TRACE", nullptr);
    ASSERT_NE(nullptr, program);
    EXPECT_EQ(0, harness_wait(program));
    harness_free(program);
    std::string text;
    FILE *stream = fopen(file.c_str(), "rb");
    ASSERT_NE(nullptr, stream) << file;
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, stream)) > 0;) text.append(buffer, n);
    fclose(stream);
    remove(file.c_str());
    Json json(text);
    ASSERT_TRUE(json.right()) << text;
    std::set<std::string> rows, named;
    int spans = 0, marks = 0, crashes = 0, retries = 0, replacements = 0;
    for (const Json::Object &event : json.events()) {
        auto field = [&](const char *name) {
            auto found = event.find(name);
            return found == event.end() ? std::string() : found->second;
        };
        const std::string ph = field("ph"), row = field("pid") + "/" + field("tid"), name = lower(field("name"));
        if (ph == "M") {
            if (name == "thread_name") named.insert(row);
            continue;
        }
        EXPECT_NE("", field("ts"));
        if (ph == "X" || ph == "B") {
            spans++;
            rows.insert(row);
            EXPECT_NE("", name);
            if (ph == "X") {
                EXPECT_NE("", field("dur"));
            }
        } else if (ph == "i" || ph == "I") {
            marks++;
            crashes += name.find("crash") != std::string::npos;
            retries += name.find("retr") != std::string::npos;
            replacements += name.find("replace") != std::string::npos;
        }
    }
    EXPECT_GE(rows.size(), 2u);
    EXPECT_LE(rows.size(), GetParam() ? 2u : 3u); // one was replaced
    for (const std::string &row : rows) EXPECT_EQ(1u, named.count(row)) << row << " has no name";
    EXPECT_GE(spans, 8 + 1 + 2 + (GetParam() ? 0 : 1)); // fine ones, a failed one, chunks, the one that crashed
    EXPECT_GE(marks, GetParam() ? 0 : 3);
    if (!GetParam()) {
        EXPECT_EQ(1, crashes);
        EXPECT_EQ(1, retries);
        EXPECT_EQ(1, replacements);
    }
}

} // namespace
