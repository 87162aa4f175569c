// What ends a task, or its worker, before it has returned: cancelling, deadlines, crashes, limits; initializers that fail, and workers that are
// replaced. Runs once under each start method.
#include "pool_case.h"

namespace {

// ---- cancelling ----

class PoolCancel : public Both {};
FOR_BOTH(PoolCancel);

TEST_P(PoolCancel, OfATaskThatHasNotBegunMeansThatItNeverWill)
{
    Board board;
    Pool pool(1, threads(), board);
    Future held = give_held(pool), cancelled = give(pool, pools_count, spork_pack(static_cast<int>(POOLS_FREE))),
           other = give(pool, pools_square, spork_pack(3));
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    EXPECT_EQ(SPORK_OK, spork_future_cancel(cancelled)) << spork_error();
    EXPECT_EQ(SPORK_CANCELLED, how(cancelled)); // before the worker comes to it
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_status(held));
    spork_death death = death_of(cancelled);
    EXPECT_EQ(SPORK_RUNNING, death.exitcode);
    EXPECT_EQ(0, death.pid);
    EXPECT_EQ(0u, death.attempt);
    EXPECT_EQ(2u, death.task);
    EXPECT_NE("", why(cancelled));
    board.open(POOLS_GATE);
    EXPECT_EQ(9, value_of<int>(other));
    EXPECT_EQ(SPORK_OK, how(held)) << why(held);
    EXPECT_EQ(0, board.get(POOLS_FREE));
    EXPECT_EQ(SPORK_BAD_STATE, spork_future_cancel(cancelled));
    EXPECT_EQ(1u, count(pool).failed);
}

TEST_P(PoolCancel, OfATaskThatRunsAsksItToStop)
{
    bool spared = false;
    // A machine may need its 100 ms, but not always.
    for (int round = 0; round < 50 && !spared && !HasFailure(); round++) {
        Board board;
        Pool pool(1, threads(), board);
        Future future = give_held(pool, POOLS_WILLING);
        ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
        int pid = board.pid();
        EXPECT_EQ(SPORK_OK, spork_future_cancel(future)) << spork_error();
        EXPECT_EQ(SPORK_CANCELLED, how(future)); // although it returned a value
        EXPECT_EQ(1u, death_of(future).attempt);
        spared = board.get(POOLS_ASKED) == 1 && board.get(POOLS_ENDED) == 1 &&
                 place_of(give(pool, pools_where)).pid == pid && count(pool).replaced == 0;
        if (spared) {
            EXPECT_EQ(SPORK_RUNNING, death_of(future).exitcode);
            EXPECT_EQ(0u, count(pool).crashed);
        }
    }
    EXPECT_TRUE(spared) << "who stops when he is asked is terminated nevertheless";
}

TEST_P(PoolCancel, OfATaskThatDoesNotCareTerminatesItsWorkerUnlessThatIsAThread)
{
    Board board;
    Pool pool(2, threads(), board);
    Future neighbour = give_held(pool, POOLS_STUBBORN, POOLS_FREE);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    Future future = give_held(pool);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 2));
    EXPECT_EQ(SPORK_OK, spork_future_cancel(future)) << spork_error();
    if (threads()) {
        board.reaches(POOLS_ASKED, 1);
        EXPECT_EQ(SPORK_TIMEOUT, spork_future_wait(future, 300)); // it runs on
        board.open(POOLS_GATE);
    }
    EXPECT_EQ(SPORK_CANCELLED, how(future));
    if (processes()) {
        spork_death death = death_of(future);
        EXPECT_FALSE(harness_pid_exists(death.pid)); // it runs no more
        expect_terminated(death);
        EXPECT_EQ(1u, death.attempt);
        EXPECT_EQ(0, board.get(POOLS_ENDED));
        until_replaced(pool, 1);
        until_workers(pool, 2);
        EXPECT_EQ(1u, count(pool).crashed);
    }
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_status(neighbour));
    board.open(POOLS_FREE);
    EXPECT_EQ(SPORK_OK, how(neighbour)) << why(neighbour);
    EXPECT_EQ(all_places(2), meet(pool, board, 2));
}

TEST_P(PoolCancel, IsRefusedOfATaskThatHasEnded)
{
    Pool pool(1, threads());
    Future fine = give(pool, pools_square, spork_pack(3)), failed = give(pool, pools_square, spork_pack(-3));
    EXPECT_EQ(SPORK_OK, how(fine));
    EXPECT_EQ(SPORK_FAILED, how(failed));
    EXPECT_EQ(SPORK_BAD_STATE, spork_future_cancel(fine));
    EXPECT_EQ(SPORK_BAD_STATE, spork_future_cancel(failed));
    EXPECT_EQ(9, value_of<int>(fine));
    EXPECT_EQ(SPORK_FAILED, spork_future_status(failed));
}

TEST_P(PoolCancel, BySeveralThreadsAtOnceIsOneCancelling)
{
    Board board;
    Calls calls;
    Pool pool(1, threads(), board);
    const spork_task_options o = calls.options();
    Future future =
        give(pool, pools_hold, spork_pack(static_cast<int>(POOLS_WILLING), static_cast<int>(POOLS_GATE)), &o);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    std::atomic<int> agreed{0}, strange{0};
    {
        std::vector<std::unique_ptr<Thread>> cancellers;
        for (int i = 0; i < 8; i++)
            cancellers.push_back(std::make_unique<Thread>([&] {
                spork_status status = spork_future_cancel(future);
                if (status == SPORK_OK)
                    agreed++;
                else if (status != SPORK_BAD_STATE)
                    strange++;
            }));
    }
    EXPECT_GE(agreed, 1);
    EXPECT_EQ(0, strange);
    EXPECT_EQ(SPORK_CANCELLED, how(future));
    calls.wait_for(1);
    EXPECT_EQ(9, square(pool, 3));
    EXPECT_EQ(1u, calls.count());
}

TEST_P(PoolCancel, OfATaskWithRetriesIsTheEndOfIt)
{
    Board board;
    Pool pool(1, threads(), board);
    const spork_task_options again = with_retries(5);
    Future future =
        give(pool, pools_hold, spork_pack(static_cast<int>(POOLS_STUBBORN), static_cast<int>(POOLS_GATE)), &again);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    EXPECT_EQ(SPORK_OK, spork_future_cancel(future));
    if (threads()) board.open(POOLS_GATE);
    EXPECT_EQ(SPORK_CANCELLED, how(future));
    EXPECT_EQ(9, square(pool, 3));
    EXPECT_EQ(1, board.get(POOLS_BEGUN));
    EXPECT_EQ(0u, count(pool).retried);
}

// Whoever wins: what cancel said comes true, and the callback comes once.
TEST_P(PoolCancel, AndTheEndOfATaskHaveOneOutcome)
{
    Calls calls;
    Pool pool(2, threads());
    const spork_task_options o = calls.options();
    std::mt19937 random(storm_seed());
    int cancelled = 0, rounds = 0;
    for (int i : repeat(5000)) {
        if (HasFailure()) break;
        rounds = i + 1;
        Future future = give(pool, pools_square, spork_pack(i % 100), &o);
        double end = spork_time() + static_cast<double>(random() % 50) * 1e-6;
        while (spork_time() < end) {}
        spork_status said = spork_future_cancel(future), is = how(future);
        ASSERT_TRUE(said == SPORK_OK || said == SPORK_BAD_STATE) << spork_error();
        ASSERT_EQ(said == SPORK_OK ? SPORK_CANCELLED : SPORK_OK, is) << "round " << i;
        ASSERT_EQ(is, spork_future_status(future));
        int n = -1;
        ASSERT_EQ(is, spork_future_get(future, 0, &n));
        ASSERT_EQ(is == SPORK_OK ? i % 100 * (i % 100) : -1, n);
        cancelled += is == SPORK_CANCELLED;
    }
    EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << spork_error();
    printf("%d of %d were cancelled\n", cancelled, rounds);
    EXPECT_EQ(static_cast<size_t>(rounds), calls.count());
    spork_pool_counters counters = count(pool);
    EXPECT_EQ(static_cast<uint64_t>(cancelled), counters.failed);
    EXPECT_EQ(static_cast<uint64_t>(rounds - cancelled), counters.completed);
}

TEST_F(Processes, OfAPoolThatIgnoreSigtermOrAreStoppedAreKilledWhenTheirTaskIsCancelled)
{
    if (windows()) GTEST_SKIP() << "skipped: Windows terminates at once, and stops nothing";
    Board board;
    Pool pool(1, false, board);
    Future deaf = give_held(pool, POOLS_DEAF);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    EXPECT_EQ(SPORK_OK, spork_future_cancel(deaf));
    EXPECT_EQ(SPORK_CANCELLED, how(deaf));
    EXPECT_EQ(-9, death_of(deaf).exitcode);
    EXPECT_FALSE(harness_pid_exists(death_of(deaf).pid));
    Future stopped = give(pool, pools_stop);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 2));
#ifdef __linux__
    until([&] { return harness_pid_stopped(board.pid()); }, "it does not stop");
#endif
    EXPECT_EQ(SPORK_OK, spork_future_cancel(stopped));
    EXPECT_EQ(SPORK_CANCELLED, how(stopped));
    EXPECT_EQ(-9, death_of(stopped).exitcode);
    EXPECT_FALSE(harness_pid_exists(death_of(stopped).pid));
    EXPECT_EQ(9, square(pool, 3));
    EXPECT_EQ(2u, count(pool).replaced);
}

// ---- deadlines ----

class PoolDeadline : public Processes {
  protected:
    static spork_pool_options limited(unsigned workers, int timeout_ms, const Board &board)
    {
        spork_pool_options o = options_of(workers, false, board);
        o.task_timeout_ms = timeout_ms;
        return o;
    }
    static spork_args stubborn() { return spork_pack(static_cast<int>(POOLS_STUBBORN), static_cast<int>(POOLS_GATE)); }
    static spork_args willing() { return spork_pack(static_cast<int>(POOLS_WILLING), static_cast<int>(POOLS_GATE)); }
};

TEST_F(PoolDeadline, EndsATaskThatRunsForTooLong)
{
    Board board;
    Pool pool(2, false, board);
    const spork_task_options soon = within(50);
    Future neighbour = give_held(pool, POOLS_WILLING, POOLS_FREE);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    Future future = give(pool, pools_hold, stubborn(), &soon);
    EXPECT_EQ(SPORK_DEADLINE, how(future));
    EXPECT_EQ(SPORK_DEADLINE, spork_future_check(future, 0));
    EXPECT_STRNE("", spork_error());
    EXPECT_TRUE(says("50", why(future)));
    spork_death death = death_of(future);
    expect_terminated(death);
    EXPECT_EQ(1u, death.attempt);
    EXPECT_EQ(2u, death.task);
    EXPECT_FALSE(harness_pid_exists(death.pid));
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_status(neighbour));
    board.open(POOLS_FREE);
    EXPECT_EQ(SPORK_OK, how(neighbour)) << why(neighbour);
    EXPECT_EQ(all_places(2), meet(pool, board, 2));
    EXPECT_EQ(1u, count(pool).crashed);
    EXPECT_EQ(1u, count(pool).replaced);
    EXPECT_EQ(1u, count(pool).failed);
}

TEST_F(PoolDeadline, IsForEachTaskOfAPoolThatHasOne)
{
    Board board;
    Pool pool(limited(1, 50, board), board);
    EXPECT_EQ(SPORK_DEADLINE, how(give(pool, pools_hold, stubborn())));
    board.set(POOLS_BEGUN, 0);                            // that one may have had no time to count itself
    const spork_task_options later = within(kWatchdogMs); // the task's own is better
    Future future = give(pool, pools_hold, stubborn(), &later);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_wait(future, 200));
    board.open(POOLS_GATE);
    EXPECT_EQ(SPORK_OK, how(future)) << why(future);
    board.set(POOLS_GATE, 0);
    const spork_task_options never = within(SPORK_FOREVER); // and so is none at all
    future = give(pool, pools_hold, stubborn(), &never);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 2));
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_wait(future, 200));
    board.open(POOLS_GATE);
    EXPECT_EQ(SPORK_OK, how(future)) << why(future);
    const spork_task_options nonsense = within(-5);
    expect_refused(SPORK_INVALID, pool, pools_hold, stubborn(), &nonsense);
    EXPECT_EQ(SPORK_DEADLINE, [&] {
        board.set(POOLS_GATE, 0);
        return spork_pool_apply(pool, pools_hold, stubborn(), nullptr, kWatchdogMs); // its wait is not the limit
    }());
}

TEST_F(PoolDeadline, BeginsWhenTheTaskDoes)
{
    Board board;
    Pool pool(1, false, board);
    Future held = give_held(pool);
    const spork_task_options soon = within(kWatchdogMs);
    std::vector<Future> waiting;
    for (int i = 0; i < 3; i++) waiting.push_back(give(pool, pools_square, spork_pack(3), &soon));
    const spork_task_options at_once = within(2000);
    Future last = give(pool, pools_square, spork_pack(3), &at_once);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_wait(last, 2100)); // longer than it may run
    board.open(POOLS_GATE);
    for (const Future &future : waiting) EXPECT_EQ(9, value_of<int>(future));
    EXPECT_EQ(9, value_of<int>(last));
}

TEST_F(PoolDeadline, AsksFirst)
{
    bool spared = false;
    for (int round = 0; round < 50 && !spared && !HasFailure(); round++) {
        Board board;
        Pool pool(limited(1, 20, board), board);
        Future future = give(pool, pools_hold, willing());
        EXPECT_EQ(SPORK_DEADLINE, how(future)); // although it returned a value
        spared = board.get(POOLS_ENDED) == 1 && count(pool).replaced == 0;
        if (spared) {
            EXPECT_EQ(1, board.get(POOLS_ASKED));
            EXPECT_EQ(SPORK_RUNNING, death_of(future).exitcode);
            EXPECT_EQ(0u, count(pool).crashed);
        }
    }
    EXPECT_TRUE(spared) << "who stops when he is asked is terminated nevertheless";
}

TEST_F(PoolDeadline, KillsAWorkerThatIgnoresSigtermOrIsStopped)
{
    if (windows()) GTEST_SKIP() << "skipped: Windows terminates at once, and stops nothing";
    for (int ms = 100;; ms *= 4) { // where that is too little to become deaf, or to stop, with more
        Board board;
        Pool pool(limited(1, ms, board), board);
        Future deaf = give(pool, pools_hold, spork_pack(static_cast<int>(POOLS_DEAF), static_cast<int>(POOLS_GATE)));
        Future stopped = give(pool, pools_stop);
        EXPECT_EQ(SPORK_DEADLINE, how(deaf));
        EXPECT_EQ(SPORK_DEADLINE, how(stopped));
        if ((death_of(deaf).exitcode == -15 || death_of(stopped).exitcode == -15) && ms < kWatchdogMs) continue;
        EXPECT_EQ(-9, death_of(deaf).exitcode);
        EXPECT_EQ(-9, death_of(stopped).exitcode);
        EXPECT_EQ(2u, count(pool).crashed);
        break;
    }
}

// The stopping begins anew, with another reason, when it has come half its way.
TEST_F(PoolDeadline, OfATaskThatIsCancelledWhileItIsTerminatedIsStillItsEnd)
{
    if (windows()) GTEST_SKIP() << "skipped: Windows terminates at once, and stops nothing";
    Board board;
    Pool pool(limited(1, 200, board), board);
    Future deaf = give_held(pool, POOLS_DEAF);
    until([&] { return board.get(POOLS_ASKED) == 1 || spork_future_wait(deaf, 0) == SPORK_OK; }, "it is not asked");
    spork_sleep(150); // SIGTERM comes after 100 ms, SIGKILL after 200; whatever has come by now, it ends
    spork_future_cancel(deaf);
    spork_status status = how(deaf);
    EXPECT_TRUE(status == SPORK_DEADLINE || status == SPORK_CANCELLED) << spork_status_name(status);
    if (death_of(deaf).pid != 0) until_gone(death_of(deaf).pid);
    const spork_task_options later = within(kWatchdogMs);
    EXPECT_EQ(9, value_of<int>(give(pool, pools_square, spork_pack(3), &later)));
}

// What its place says of the beginning is the last one's as long as it has not begun.
TEST_F(PoolDeadline, IsNotThatOfTheTaskBefore)
{
#ifndef __linux__
    GTEST_SKIP() << "skipped: needs to see that a process is stopped, which /proc tells";
#endif
    Board board;
    Pool pool(limited(1, 1000, board), board);
    EXPECT_EQ(SPORK_OK, how(give(pool, pools_stop_at_next)));
    spork_sleep(1050); // by now that one would be late
    Future next = give(pool, pools_square, spork_pack(3));
    until([&] { return harness_pid_stopped(board.pid()); }, "the worker does not come to the next task");
    linger(); // whoever looks at clocks does
    linger();
    pools_continue(board.pid());
    EXPECT_EQ(9, value_of<int>(next));
}

TEST_F(PoolDeadline, IsForEachAttempt)
{
    for (int ms = 300;; ms *= 4) { // where that is too little for an attempt that ends by itself, with more
        Board board;
        spork_pool_options o = limited(1, ms, board);
        o.retries = 2;
        Pool pool(o, board);
        Future second = give(pool, pools_hold_until, spork_pack(2u));
        Future third = give(pool, pools_hold_until, spork_pack(3u));
        Future future = give(pool, pools_hold_until, spork_pack(4u));
        EXPECT_EQ(SPORK_DEADLINE, how(future));
        EXPECT_EQ(3u, death_of(future).attempt);
        if (count(pool).crashed > 6 && ms < kWatchdogMs) continue;
        EXPECT_EQ(2u, value_of<unsigned>(second));
        EXPECT_EQ(3u, value_of<unsigned>(third));
        EXPECT_EQ(6u, count(pool).crashed);
        EXPECT_EQ(5u, count(pool).retried);
        break;
    }
}

// The task is as long as its limit: it ends well or past its deadline, and never by what it says when it is asked to stop.
TEST_F(PoolDeadline, AndTheEndOfATaskHaveOneOutcome)
{
    Calls calls;
    Pool pool(2, false);
    std::mt19937 random(storm_seed());
    int late = 0, cancelled = 0, rounds = 0;
    std::vector<Future> futures;
    std::vector<bool> wanted;
    spork_task_options o = calls.options();
    o.timeout_ms = 2;
    for (int i : repeat(2000)) {
        if (HasFailure()) break;
        rounds = i + 1;
        Future future = give(pool, pools_spin, spork_pack(1900 + static_cast<int>(random() % 200), i), &o);
        spork_status said = SPORK_BAD_STATE;
        if (i % 3 == 0) { // and a third hand at it
            spork_future_wait(future, 2);
            said = spork_future_cancel(future);
        }
        spork_status is = how(future);
        if (said == SPORK_OK) {
            ASSERT_EQ(SPORK_CANCELLED, is);
            cancelled++;
        } else {
            ASSERT_TRUE(is == SPORK_OK || is == SPORK_DEADLINE) << spork_status_name(is) << " " << why(future);
        }
        late += is == SPORK_DEADLINE;
        int n = -1;
        ASSERT_EQ(is, spork_future_get(future, 0, &n));
        ASSERT_EQ(is == SPORK_OK ? i : -1, n);
        ASSERT_EQ(is, spork_future_status(future));
    }
    EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << spork_error();
    printf("%d of %d were too late, %d cancelled\n", late, rounds, cancelled);
    EXPECT_EQ(static_cast<size_t>(rounds), calls.count());
    EXPECT_EQ(static_cast<uint64_t>(late + cancelled), count(pool).failed);
}

// ---- crashes ----

class PoolCrash : public Processes {};

// All who need room would wait for it for ever.
TEST_F(PoolCrash, ComesToAWorkerThatIsStoppedWithALock)
{
    Board board;
    Pool pool(2, false, board);
    Future stopped = give(pool, pools_stop_in_lock);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    std::string large = bytes_of(100 * kKiB, 7);
    Future waits = give(pool, pools_mirror, spork_pack(spork_bytes_of(large.data(), large.size())));
    EXPECT_EQ(SPORK_CRASHED, how(stopped));
    EXPECT_TRUE(death_of(stopped).exitcode == -9) << death_of(stopped).exitcode;
    EXPECT_TRUE(same(large, bytes_from(waits)));
    EXPECT_EQ(all_places(2), meet(pool, board, 2));
}

// What the dead one was about to take is another's by then, with a result on its way.
TEST_F(PoolCrash, OfAWorkerThatSawATaskCostsNothingOfWhatAnotherMakesOfIt)
{
#ifndef __linux__
    GTEST_SKIP() << "skipped: needs to see that a process is stopped, which /proc tells";
#endif
    Board board;
    Pool pool(2, false, board);
    Future first = give(pool, pools_stop_at_one_task), second = give(pool, pools_stop_at_one_task);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    std::string large = bytes_of(100 * kKiB, 7);
    Future task = give(pool, pools_mirror, spork_pack(spork_bytes_of(large.data(), large.size())));
    until([&] { return harness_pid_stopped(board.pid(0)); }, "the first does not come to the task");
    board.open(POOLS_GATE);
    until([&] { return harness_pid_stopped(board.pid(1)); }, "the second does not come to its result");
    pools_kill(board.pid(0));
    until_replaced(pool, 1);
    pools_continue(board.pid(1));
    EXPECT_EQ(SPORK_OK, how(task)) << why(task);
    EXPECT_TRUE(same(large, bytes_from(task)));
    EXPECT_EQ(SPORK_OK, how(first)) << why(first);
    EXPECT_EQ(SPORK_OK, how(second)) << why(second);
    EXPECT_EQ(0u, count(pool).crashed);
    EXPECT_EQ(all_places(2), meet(pool, board, 2));
}

struct Way {
    const char *how;
    int number, exitcode;
};

TEST_F(PoolCrash, CostsItsOwnTaskOnlyAndIsOnRecord)
{
    const Way ways[] = {{"null", 0, -11}, {"abort", 0, -6}, {"exit", 3, 3},   {"exit", 0, 0},
                        {"fpe", 0, -8},   {"ill", 0, -4},   {"stack", 0, -11}};
    Board board;
    Pool pool(2, false, board);
    Future neighbour = give_held(pool, POOLS_WILLING);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    pools_place place = {};
    uint64_t task = 1;
    for (const Way &way : ways) {
        SCOPED_TRACE(way.how);
        place = place_of(give(pool, pools_where));
        Future future = give(pool, pools_crash, spork_pack(way.how, way.number));
        Future behind = give(pool, pools_square, spork_pack(3));
        task += 3;
        EXPECT_EQ(SPORK_CRASHED, how(future));
        spork_death death = death_of(future);
        EXPECT_EQ(way.exitcode, death.exitcode);
        EXPECT_EQ(place.pid, death.pid);
        EXPECT_EQ(place.worker, death.worker);
        EXPECT_EQ(1u, death.attempt);
        EXPECT_EQ(task - 1, death.task);
        if (way.exitcode != 0) {
            EXPECT_NE(0u, death.native);
        }
        EXPECT_FALSE(harness_pid_exists(death.pid));
        EXPECT_NE("", why(future));
        EXPECT_EQ(SPORK_CRASHED, spork_future_check(future, 0));
        EXPECT_STRNE("", spork_error());
        EXPECT_EQ(9, value_of<int>(behind));
        EXPECT_EQ(SPORK_TIMEOUT, spork_future_status(neighbour));
    }
    board.open(POOLS_GATE);
    EXPECT_EQ(SPORK_OK, how(neighbour)) << why(neighbour);
    EXPECT_EQ(0, board.get(POOLS_ASKED));
    EXPECT_EQ(all_places(2), meet(pool, board, 2));
}

TEST_F(PoolCrash, ByAKillFromOutsideIsOneToo)
{
    Board board;
    Pool pool(2, false, board);
    Future one = give_held(pool), other = give_held(pool);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 2));
    int pid = board.pid(0);
    pools_kill(pid);
    Future *futures[] = {&one, &other};
    spork_future *both[] = {one, other};
    size_t index = 99;
    ASSERT_EQ(SPORK_OK, spork_future_wait_any(both, 2, kWatchdogMs, &index));
    EXPECT_EQ(SPORK_CRASHED, how(both[index]));
    spork_death death = death_of(both[index]);
    EXPECT_EQ(windows() ? 9 : -9, death.exitcode);
    EXPECT_EQ(pid, death.pid);
    EXPECT_EQ(0u, death.worker);
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_status(*futures[1 - index]));
    board.open(POOLS_GATE);
    EXPECT_EQ(board.pid(1), value_of<int>(*futures[1 - index]));
    EXPECT_EQ(all_places(2), meet(pool, board, 2));
}

TEST_F(PoolCrash, HasARecordOfWhatTheWorkerUsed)
{
    Pool pool(1, false);
    EXPECT_EQ(1, value_of<int>(give(pool, pools_spin, spork_pack(200000, 1))));
    Future future = give(pool, pools_crash, spork_pack("kill", 0));
    EXPECT_EQ(SPORK_CRASHED, how(future));
    spork_death death = death_of(future);
    printf("%d KiB, %d ms\n", static_cast<int>(death.peak_rss / kKiB), static_cast<int>(death.cpu_ms));
#ifdef __linux__
    EXPECT_GE(death.peak_rss, 100 * kKiB);
    EXPECT_GT(death.cpu_ms, 0u);
#endif
    EXPECT_LT(death.peak_rss, uint64_t{1} << 40);
    EXPECT_LT(death.cpu_ms, 60000u);
}

TEST_F(PoolCrash, OfAllWorkersAtOnceLosesNoOtherTask)
{
    Board board;
    Pool pool(3, false, board);
    std::vector<Future> crashes, others;
    for (int i = 0; i < 9; i++) {
        crashes.push_back(give(pool, pools_crash, spork_pack(i % 2 == 0 ? "kill" : "exit", 3)));
        others.push_back(give(pool, pools_square, spork_pack(i)));
    }
    for (const Future &future : crashes) EXPECT_EQ(SPORK_CRASHED, how(future));
    for (int i = 0; i < 9; i++) EXPECT_EQ(i * i, value_of<int>(others[static_cast<size_t>(i)]));
    EXPECT_EQ(all_places(3), meet(pool, board, 3));
    spork_pool_counters counters = count(pool);
    EXPECT_EQ(9u, counters.crashed);
    EXPECT_EQ(9u, counters.replaced);
    EXPECT_EQ(0u, counters.retried);
    EXPECT_EQ(9u, counters.failed);
    EXPECT_EQ(12u, counters.completed);
    EXPECT_EQ(0u, counters.pending);
    EXPECT_EQ(3u, counters.workers);
}

TEST_F(PoolCrash, OfAWorkerWithoutATaskCostsNothing)
{
    Board board;
    Pool pool(2, false, board);
    EXPECT_EQ(all_places(2), meet(pool, board, 2));
    for (unsigned worker : {0u, 1u}) {
        int pid = board.pid(worker);
        pools_kill(pid);
        until_gone(pid);
        until_replaced(pool, worker + 1);
        until_workers(pool, 2);
    }
    EXPECT_EQ(all_places(2), meet(pool, board, 2));
    spork_pool_counters counters = count(pool);
    EXPECT_EQ(0u, counters.crashed);
    EXPECT_EQ(0u, counters.failed);
    EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << spork_error();
}

TEST_F(PoolCrash, IsRetriedAsOftenAsTheTaskSays)
{
    Board board;
    Pool pool(1, false, board);
    for (const char *way : {"kill", "exit", "null"}) {
        SCOPED_TRACE(way);
        uint64_t before = count(pool).retried;
        const spork_task_options twice = with_retries(2);
        EXPECT_EQ(3u, value_of<unsigned>(give(pool, pools_crash_until, spork_pack(way, 3u), &twice)));
        EXPECT_EQ(before + 2, count(pool).retried);
        Future future = give(pool, pools_crash_until, spork_pack(way, 4u), &twice);
        EXPECT_EQ(SPORK_CRASHED, how(future));
        EXPECT_EQ(3u, death_of(future).attempt);
        EXPECT_EQ(before + 4, count(pool).retried);
    }
    until_replaced(pool, 15);
    EXPECT_EQ(15u, count(pool).crashed);
    EXPECT_EQ(6u, count(pool).submitted); // a retry is the same task
    EXPECT_EQ(15 + 3, board.get(POOLS_BEGUN));
}

TEST_F(PoolCrash, IsRetriedAsOftenAsThePoolSaysUnlessTheTaskDoes)
{
    Board board;
    spork_pool_options o = options_of(1, false, board);
    o.retries = 1;
    Pool pool(o, board);
    EXPECT_EQ(2u, value_of<unsigned>(give(pool, pools_crash_until, spork_pack("exit", 2u))));
    Future future = give(pool, pools_crash_until, spork_pack("exit", 3u));
    EXPECT_EQ(SPORK_CRASHED, how(future));
    EXPECT_EQ(2u, death_of(future).attempt);
    const spork_task_options thrice = with_retries(3);
    EXPECT_EQ(4u, value_of<unsigned>(give(pool, pools_crash_until, spork_pack("exit", 4u), &thrice)));
    EXPECT_EQ(SPORK_FAILED, how(give(pool, pools_square, spork_pack(-1))));
}

TEST_F(PoolCrash, IsRetriedWithTheSameValues)
{
    Board board;
    Pool pool(1, false, board);
    const std::string large = bytes_of(3 * kMiB, 1);
    const spork_task_options once = with_retries(1);
    Future future = give(pool, pools_hold_and_mirror, spork_pack(spork_bytes_of(large.data(), large.size())), &once);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    board.open(POOLS_GATE); // of the second attempt; the first does not look at it
    pools_kill(board.pid());
    EXPECT_TRUE(same(large, bytes_from(future)));
}

TEST_F(PoolCrash, ThatIsCancelledBetweenItsAttemptsIsCancelled)
{
    Board board;
    Pool pool(1, false, board);
    const spork_task_options forever = with_retries(1000000);
    Future future = give(pool, pools_crash_until, spork_pack("exit", UINT_MAX), &forever);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 3));
    EXPECT_EQ(SPORK_OK, spork_future_cancel(future)) << spork_error();
    EXPECT_EQ(SPORK_CANCELLED, how(future));
    long begun = board.get(POOLS_BEGUN);
    EXPECT_EQ(9, square(pool, 3));
    EXPECT_EQ(begun, board.get(POOLS_BEGUN));
}

// ---- memory ----

TEST_F(PoolCrash, OfAWorkerAtItsMemoryLimitIsToldAsThat)
{
    if (harness_instrumented()) GTEST_SKIP() << "skipped: a sanitizer's own memory is far above the limit";
    spork_pool_options o = options_of(1, false);
    o.max_memory = 64 * kMiB;
    spork_pool *raw = spork_pool_new_with(&o);
    if (raw == nullptr) {
        EXPECT_EQ(SPORK_UNSUPPORTED, spork_last_status());
        GTEST_SKIP() << "skipped: this system does not limit memory: " << spork_error();
    }
    spork_pool_free(raw);
    Pool pool(o);
    EXPECT_EQ(16, value_of<int>(give(pool, pools_memory, spork_pack(16, "abort"))));
    EXPECT_EQ(SPORK_CRASHED, how(give(pool, pools_crash, spork_pack("abort", 0)))); // far below it
    for (const char *way : {"abort", "exit"}) {
        Future future = give(pool, pools_memory, spork_pack(512, way));
        if (harness_wine() && how(future) == SPORK_OK) GTEST_SKIP() << "skipped: wine does not enforce a job's limits";
        EXPECT_EQ(SPORK_OVER_LIMIT, how(future)) << way << ": " << why(future);
        EXPECT_EQ(strcmp(way, "exit") == 0 ? 3 : -6, death_of(future).exitcode);
        EXPECT_NE("", why(future));
    }
    // A task that gets no memory, and says so, has failed by itself.
    Future failed = give(pool, pools_memory, spork_pack(512, "fail"));
    EXPECT_EQ(SPORK_FAILED, how(failed)) << why(failed);
    EXPECT_TRUE(says("no memory", why(failed)));
}

TEST_F(PoolCrash, OfAWorkerAtItsMemoryLimitIsRetried)
{
    if (harness_instrumented()) GTEST_SKIP() << "skipped: a sanitizer's own memory is far above the limit";
    if (harness_wine()) GTEST_SKIP() << "skipped: wine does not enforce a job's limits";
    spork_pool_options o = options_of(1, false);
    o.max_memory = 64 * kMiB;
    spork_pool *raw = spork_pool_new_with(&o);
    if (raw == nullptr) GTEST_SKIP() << "skipped: this system does not limit memory: " << spork_error();
    spork_pool_free(raw);
    Pool pool(o);
    const spork_task_options twice = with_retries(2);
    EXPECT_EQ(3u, value_of<unsigned>(give(pool, pools_memory_until, spork_pack(512, 3u), &twice)));
    EXPECT_EQ(2u, count(pool).retried);
    Future future = give(pool, pools_memory_until, spork_pack(512, 4u), &twice);
    EXPECT_EQ(SPORK_OVER_LIMIT, how(future));
    EXPECT_EQ(3u, death_of(future).attempt);
}

// ---- initializers ----

class PoolInitializer : public Both {
  protected:
    static spork_pool_options init_how(unsigned workers, const Board &board, const char *way, int number)
    {
        spork_pool_options o = options_of(workers, threads(), board);
        o.initializer = pools_init_how;
        o.initargs = spork_pack(board.shm(), way, number);
        return o;
    }
    // A breaker has to come soon: no endless starts.
    static constexpr long kFewStarts = 40;
};
FOR_BOTH(PoolInitializer);

TEST_P(PoolInitializer, RunsOnceInEachWorkerBeforeItsTasks)
{
    Board board;
    Pool pool(init_how(2, board, "code", 0), board);
    EXPECT_EQ(all_places(2), meet(pool, board, 2));
    for (int i = 0; i < 20; i++) EXPECT_EQ(i * i, square(pool, i));
    EXPECT_EQ(2, board.get(POOLS_STARTED));
    if (processes()) {
        EXPECT_EQ(SPORK_CRASHED, how(give(pool, pools_crash, spork_pack("exit", 3))));
        EXPECT_EQ(all_places(2), meet(pool, board, 2));
        EXPECT_EQ(3, board.get(POOLS_STARTED));
    }
}

TEST_P(PoolInitializer, BringsObjectsToTheTasks)
{
    Board board;
    spork_lock *lock = spork_lock_new();
    spork_queue *queue = spork_queue_new(0, 0);
    spork_event *event = spork_event_new();
    spork_semaphore *semaphore = spork_semaphore_new(2, 0);
    {
        spork_pool_options o = options_of(3, threads(), board);
        o.initializer = pools_init_objects;
        o.initargs = spork_pack(board.shm(), lock, queue, event, semaphore, "a text of the initializer");
        Pool pool(o, board);
        std::vector<Future> futures;
        for (int i = 0; i < 60; i++) futures.push_back(give(pool, pools_use_objects, spork_pack(i)));
        EXPECT_EQ(SPORK_OK, spork_event_set(event));
        for (int i = 0; i < 60; i++) EXPECT_EQ(i, value_of<int>(futures[static_cast<size_t>(i)]));
        EXPECT_EQ(60, board.get(POOLS_FREE)); // the lock has kept it right
        std::set<int> got;
        for (int i = 0; i < 60; i++) {
            spork_args *message = nullptr;
            int n = -1;
            ASSERT_EQ(SPORK_OK, spork_queue_get(queue, &message, kWatchdogMs)) << spork_error();
            EXPECT_EQ(SPORK_OK, spork_unpack(message, &n));
            spork_args_free(message);
            got.insert(n);
        }
        EXPECT_EQ(60u, got.size());
        const char *text = nullptr;
        Future future = give(pool, pools_text_of_init);
        EXPECT_EQ(SPORK_OK, spork_future_get(future, kWatchdogMs, &text)) << spork_error();
        EXPECT_STREQ("a text of the initializer", text); // its values live as long as the worker
        if (processes()) {                               // a replacement has them, too
            EXPECT_EQ(SPORK_CRASHED, how(give(pool, pools_crash, spork_pack("kill", 0))));
            EXPECT_EQ(all_places(3), meet(pool, board, 3));
            for (int i = 0; i < 9; i++) EXPECT_EQ(SPORK_OK, how(give(pool, pools_use_objects, spork_pack(i))));
        }
    }
    pools_forget_objects();
    spork_semaphore_free(semaphore);
    spork_event_free(event);
    spork_queue_free(queue);
    spork_lock_free(lock);
}

TEST_P(PoolInitializer, ThatAlwaysFailsBreaksThePoolAndIsTheReasonInEachTask)
{
    pools_make_sentence();
    const std::string sentence = spork_error();
    for (bool by_sentence : {false, true}) {
        Board board;
        Pool pool(init_how(2, board, by_sentence ? "sentence" : "code", 77), board);
        std::vector<Future> futures;
        for (int i = 0; i < 10; i++) { // the first at least comes before it is known
            spork_future *future = nullptr;
            spork_status status = spork_pool_apply_async(pool, pools_square, spork_pack(i), nullptr, &future);
            if (status == SPORK_OK)
                futures.emplace_back(future);
            else {
                EXPECT_EQ(SPORK_BROKEN, status);
                EXPECT_TRUE(says(by_sentence ? sentence : "77"));
            }
        }
        for (const Future &future : futures) {
            EXPECT_EQ(SPORK_BROKEN, how(future));
            EXPECT_TRUE(says(by_sentence ? sentence : "77", why(future)));
            EXPECT_EQ(0u, death_of(future).attempt);
        }
        until(
            [&] { return spork_pool_apply(pool, pools_nothing, SPORK_NO_ARGS, nullptr, kWatchdogMs) == SPORK_BROKEN; },
            "it is not broken");
        EXPECT_TRUE(says(by_sentence ? sentence : "77"));
        expect_refused(SPORK_BROKEN, pool, pools_nothing);
        int64_t in[2] = {1, 2}, out[2] = {5, 6};
        EXPECT_EQ(SPORK_BROKEN, spork_pool_map(pool, pools_item_square, in, out, 2, nullptr));
        EXPECT_EQ(5, out[0]);
        EXPECT_EQ(0u, count(pool).pending);
        EXPECT_EQ(0u, count(pool).workers);
        EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << spork_error();
        printf("%ld starts\n", board.get(POOLS_STARTED));
        EXPECT_LE(board.get(POOLS_STARTED), kFewStarts);
    }
}

TEST_P(PoolInitializer, ThatFailsOnceIsTriedAgain)
{
    Board board;
    Pool pool(init_how(2, board, "until", 1), board);
    EXPECT_EQ(9, square(pool, 3));
    EXPECT_EQ(all_places(2), meet(pool, board, 2));
    EXPECT_EQ(3, board.get(POOLS_STARTED));
    EXPECT_EQ(0u, count(pool).failed);
}

TEST_P(PoolInitializer, ThatFailsLaterOnBreaksThePoolWhenTheLastWorkerIsGone)
{
    if (threads()) GTEST_SKIP() << "skipped: a thread neither dies nor is replaced";
    Board board;
    Pool pool(init_how(2, board, "after", 2), board);
    EXPECT_EQ(all_places(2), meet(pool, board, 2));
    EXPECT_EQ(SPORK_CRASHED, how(give(pool, pools_crash, spork_pack("exit", 3))));
    Future second = give(pool, pools_crash, spork_pack("exit", 3)), behind = give(pool, pools_square, spork_pack(3));
    EXPECT_EQ(SPORK_CRASHED, how(second));
    spork_status last = how(behind);
    EXPECT_EQ(SPORK_BROKEN, last);
    EXPECT_TRUE(says("5", why(behind)));
    EXPECT_LE(board.get(POOLS_STARTED), kFewStarts);
}

TEST_P(PoolInitializer, ThatCrashesBreaksThePool)
{
    if (threads()) GTEST_SKIP() << "skipped: a crash in a thread is one of the whole process";
    for (const Way &way : {Way{"null", 0, -11}, Way{"exit", 3, 3}, Way{"exit", 0, 0}, Way{"kill", 0, -9}}) {
        SCOPED_TRACE(way.how);
        Board board;
        Pool pool(init_how(2, board, way.how, way.number), board);
        Future future = give(pool, pools_square, spork_pack(3));
        EXPECT_EQ(SPORK_BROKEN, how(future));
        EXPECT_NE("", why(future));
        EXPECT_LE(board.get(POOLS_STARTED), kFewStarts);
        EXPECT_EQ(0u, count(pool).crashed); // no attempt of a task was
    }
}

TEST_P(PoolInitializer, ThatIsNotDoneDoesNotKeepThePoolFromEnding)
{
    for (int way = 0; way < 3; way++) {
        SCOPED_TRACE(way);
        Board board;
        Pool pool(init_how(2, board, "door", 0), board);
        Future future = give(pool, pools_square, spork_pack(3));
        board.reaches(POOLS_STARTED, 2);
        Thread opener([&] { // threads cannot be ended from outside
            linger();
            if (threads()) board.open();
        });
        if (way == 0) {
            EXPECT_EQ(SPORK_OK, spork_pool_terminate(pool));
        } else if (way == 1) {
            EXPECT_EQ(SPORK_TIMEOUT, spork_pool_shutdown(pool, 0));
        } else
            pool.free();
        EXPECT_EQ(SPORK_CLOSED, how(future));
        opener.join();
    }
}

TEST_F(Processes, OfAPoolThatCannotBeStartedBreakIt)
{
    struct Bootstrap {
        explicit Bootstrap(const char *how) { harness_setenv("HARNESS_BOOTSTRAP", how); }
        ~Bootstrap() { harness_setenv("HARNESS_BOOTSTRAP", nullptr); }
    };
    for (const char *way : {"exit", "kill"}) {
        SCOPED_TRACE(way);
        Board board;
        spork_pool_options o = options_of(2, false, board);
        o.method = SPORK_SPAWN;
        {
            Bootstrap spoiled(way);
            Pool pool(o, board);
            spork_future *raw = nullptr;
            spork_status status = spork_pool_apply_async(pool, pools_square, spork_pack(3), nullptr, &raw);
            Future future(raw);
            if (status == SPORK_OK) {
                EXPECT_EQ(SPORK_BROKEN, how(future));
                EXPECT_NE("", why(future));
            } else {
                EXPECT_EQ(SPORK_BROKEN, status) << spork_error();
            }
            EXPECT_EQ(0, board.get(POOLS_STARTED));
        }
        // The same when it has worked before.
        Pool pool(o, board);
        EXPECT_EQ(all_places(2), meet(pool, board, 2));
        Bootstrap spoiled(way);
        std::vector<Future> crashes;
        for (int i = 0; i < 2; i++) crashes.push_back(give(pool, pools_crash, spork_pack("exit", 3)));
        Future future = give(pool, pools_square, spork_pack(3));
        for (const Future &crash : crashes) EXPECT_EQ(SPORK_CRASHED, how(crash));
        EXPECT_EQ(SPORK_BROKEN, how(future));
        EXPECT_NE("", why(future));
    }
}

// ---- workers that are replaced after so many tasks ----

class PoolRecycle : public Both {};
FOR_BOTH(PoolRecycle);

TEST_P(PoolRecycle, ReplacesWorkersAfterSoManyTasksAndLosesNone)
{
    for (unsigned workers : {1u, 2u, 4u}) {
        for (unsigned per_child : {1u, 2u, 3u}) {
            for (int tasks : {1, 6, 13}) {
                if (harness_wine() && (workers + per_child + static_cast<unsigned>(tasks)) % 3 != 0) continue;
                SCOPED_TRACE(std::to_string(workers) + " workers, " + std::to_string(per_child) + " tasks each, " +
                             std::to_string(tasks) + " tasks");
                Board board;
                spork_pool_options o = options_of(workers, threads(), board);
                o.max_tasks_per_child = per_child;
                Pool pool(o, board);
                std::vector<Future> futures;
                for (int i = 0; i < tasks; i++) futures.push_back(give(pool, pools_where));
                std::map<int, unsigned> done; // by each process
                for (const Future &future : futures) done[place_of(future).pid]++;
                if (processes()) {
                    for (const auto &one : done) EXPECT_LE(one.second, per_child);
                }
                EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << spork_error();
                const long needed = (tasks + static_cast<int>(per_child) - 1) / static_cast<int>(per_child);
                EXPECT_GE(board.get(POOLS_STARTED), needed);
                spork_pool_counters counters = count(pool);
                EXPECT_EQ(static_cast<uint64_t>(tasks), counters.completed);
                EXPECT_EQ(0u, counters.crashed);
                EXPECT_GE(static_cast<long>(counters.replaced) + static_cast<long>(workers), needed);
            }
        }
    }
}

TEST_P(PoolRecycle, CountsAChunkOfAMapAsOne)
{
    Board board;
    spork_pool_options o = options_of(1, threads(), board);
    o.max_tasks_per_child = 2;
    Pool pool(o, board);
    std::vector<int64_t> in(40, 2), out(40);
    spork_map_options map = {};
    map.chunk = 10;
    EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_square, in.data(), out.data(), in.size(), &map));
    EXPECT_EQ(40, std::count(out.begin(), out.end(), 4));
    EXPECT_GE(board.get(POOLS_STARTED), 2);
    EXPECT_LE(board.get(POOLS_STARTED), 3); // four chunks by two workers; the next may have been started
    EXPECT_EQ(9, square(pool, 3));
}

TEST_P(PoolRecycle, KeepsPlaces)
{
    Board board;
    spork_pool_options o = options_of(3, threads(), board);
    o.max_tasks_per_child = 1;
    Pool pool(o, board);
    for (int round = 0; round < 3; round++) EXPECT_EQ(all_places(3), meet(pool, board, 3));
    until_replaced(pool, 9);
    until_workers(pool, 3);
}

} // namespace
