// Pools, as a user sees them: how one is made, what tasks are given and give back, how they fail, and what a future tells. Runs once under
// each start method. Most tests run for workers that are processes and for workers that are threads; only processes crash and have limits.
#include "pool_case.h"

namespace {

// ---- making one ----

class PoolMade : public Both {};
FOR_BOTH(PoolMade);

TEST_P(PoolMade, HasTheWorkersThatItWasAskedFor)
{
    Board board;
    Pool pool(3, threads(), board);
    EXPECT_EQ(3u, spork_pool_workers(pool));
    EXPECT_EQ(all_places(3), meet(pool, board, 3));
    EXPECT_EQ(3, board.get(POOLS_STARTED));
    EXPECT_EQ(3u, count(pool).workers);
}

TEST_P(PoolMade, WithoutANumberHasAsManyWorkersAsThisProcessMayUseCpus)
{
    Pool pool(0, threads());
    EXPECT_EQ(static_cast<unsigned>(spork_cpu_count()), spork_pool_workers(pool));
    EXPECT_EQ(9, square(pool, 3));
}

TEST_P(PoolMade, HasAtMost1024Workers)
{
    spork_pool_options o = options_of(1025, threads());
    EXPECT_EQ(nullptr, spork_pool_new_with(&o));
    EXPECT_EQ(SPORK_TOO_LARGE, spork_last_status());
    EXPECT_STRNE("", spork_error());
    o.workers = UINT_MAX;
    EXPECT_EQ(nullptr, spork_pool_new_with(&o));
    EXPECT_EQ(SPORK_TOO_LARGE, spork_last_status());
}

TEST_P(PoolMade, GivesFifteenValuesToItsInitializer)
{
    spork_pool_options o = options_of(2, threads());
    o.initializer = pools_init_fifteen;
    o.initargs = spork_pack(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    Pool pool(o);
    EXPECT_EQ(120, value_of<int>(give(pool, pools_fifteen)));
    o.initargs = spork_pack(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    EXPECT_EQ(nullptr, spork_pool_new_with(&o));
    EXPECT_EQ(SPORK_TOO_LARGE, spork_last_status());
    EXPECT_STRNE("", spork_error());
}

TEST_P(PoolMade, EndsWhatWasMovedIntoItsInitargsWithIt)
{
    spork_connection *reader = nullptr, *writer = nullptr;
    ASSERT_EQ(SPORK_OK, spork_pipe(&reader, &writer)) << spork_error();
    {
        spork_pool_options o = options_of(1, threads());
        o.initializer = pools_init_nothing;
        o.initargs = spork_pack(spork_move(writer));
        Pool pool(o);
        EXPECT_EQ(9, square(pool, 3));
    }
    size_t size = 0;
    EXPECT_EQ(SPORK_CLOSED, spork_connection_recv_bytes(reader, nullptr, 0, &size, kWatchdogMs))
        << spork_error();
    spork_connection_free(reader);
}

TEST_P(PoolMade, IsMadeBeforeItsWorkersAreReadyAndTakesTasksAtOnce)
{
    Board board;
    spork_pool_options o = options_of(2, threads(), board);
    o.initializer = pools_init_how;
    o.initargs = spork_pack(board.shm(), "door", 0);
    Pool pool(o, board);
    Future future = give(pool, pools_square, spork_pack(3));
    board.reaches(POOLS_STARTED, 2);
    EXPECT_EQ(0u, count(pool).workers);
    EXPECT_EQ(1u, count(pool).pending);
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_status(future));
    board.open(POOLS_DOOR);
    EXPECT_EQ(9, value_of<int>(future));
    until_workers(pool, 2);
}

TEST_P(PoolMade, CopiesItsOptions)
{
    Board board;
    char how[8] = "code";
    auto o = std::make_unique<spork_pool_options>(options_of(1, threads(), board));
    o->initializer = pools_init_how;
    o->initargs = spork_pack(board.shm(), static_cast<const char *>(how), 0);
    Pool pool(*o, board);
    memset(how, 'x', sizeof how);
    memset(static_cast<void *>(o.get()), 0x55, sizeof *o);
    o.reset();
    EXPECT_EQ(9, square(pool, 3));
}

TEST_P(PoolMade, MayBeMadeByAThreadThatEnds)
{
    Board board;
    spork_pool_options o = options_of(1, threads(), board);
    std::unique_ptr<Pool> pool;
    in_a_thread([&] {
        pool = std::make_unique<Pool>(o, board);
        EXPECT_EQ(9, square(*pool, 3));
    });
    EXPECT_EQ(16, square(*pool, 4));
    if (processes()) { // whoever is started later does not need that thread either
        EXPECT_EQ(SPORK_CRASHED, how(give(*pool, pools_crash, spork_pack("exit", 3))));
        EXPECT_EQ(25, square(*pool, 5));
    }
}

TEST_P(PoolMade, DoesInCWhatTheManualShows) { EXPECT_EQ(0, pools_c_side(threads())); }

TEST_P(PoolMade, RefusesAStartMethodThatIsNone)
{
    if (threads()) GTEST_SKIP() << "skipped: threads have no start method";
    spork_pool_options o = options_of(1, false);
    const int number = 77; // C lets an enum hold it
    memcpy(&o.method, &number, sizeof o.method);
    EXPECT_EQ(nullptr, spork_pool_new_with(&o));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
}

TEST_P(PoolMade, RefusesWhatDoesNotGoTogether)
{
    spork_pool_options o = options_of(1, threads());
    o.initializer = nullptr;
    o.initargs = spork_pack(1);
    EXPECT_EQ(nullptr, spork_pool_new_with(&o));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    EXPECT_TRUE(says("no initializer"));
    if (processes()) return;
    o = options_of(1, true);
    o.method = SPORK_SPAWN;
    EXPECT_EQ(nullptr, spork_pool_new_with(&o));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    EXPECT_TRUE(says("the workers are threads"));
}

TEST_P(PoolMade, TakesAPointerToItsInitializerForThreadsOnly)
{
    int there = 0;
    spork_pool_options o = options_of(1, threads());
    o.initializer = pools_init_pointer;
    o.initargs = spork_pack(spork_pointer(&there));
    if (processes()) {
        EXPECT_EQ(nullptr, spork_pool_new_with(&o));
        EXPECT_EQ(SPORK_INVALID, spork_last_status());
        return;
    }
    Pool pool(o);
    EXPECT_EQ(9, square(pool, 3));
    EXPECT_EQ(1, there);
}

TEST_F(Processes, OfAPoolAreStartedByAnyMethodThatTheSystemHas)
{
    for (spork_start_method method : {SPORK_FORK, SPORK_SPAWN, SPORK_FORKSERVER}) {
        spork_pool_options o = options_of(1, false);
        o.method = method;
        if (windows() && method != SPORK_SPAWN) {
            EXPECT_EQ(nullptr, spork_pool_new_with(&o));
            EXPECT_EQ(SPORK_UNSUPPORTED, spork_last_status());
            continue;
        }
        if (method == SPORK_FORKSERVER && spork_get_start_method() != method) continue; // it would stay, in the books
        Pool pool(o);
        EXPECT_EQ(9, square(pool, 3));
    }
}

TEST_F(Processes, OfAPoolThatForksHaveTheMemoryOfTheMomentWhenItWasMade)
{
    if (spork_get_start_method() != SPORK_FORK) GTEST_SKIP() << "skipped: only fork inherits memory";
    pools_a_global = 5;
    Pool pool(1, false);
    pools_a_global = 6;
    EXPECT_EQ(5, value_of<int>(give(pool, pools_global)));
    EXPECT_EQ(SPORK_CRASHED, how(give(pool, pools_crash, spork_pack("exit", 3))));
    EXPECT_EQ(5, value_of<int>(give(pool, pools_global))); // later ones, too
    pools_a_global = 0;
}

TEST_F(Processes, OfAPoolLeaveCtrlCToTheProgram)
{
    if (windows()) GTEST_SKIP() << "skipped: Windows sends Ctrl-C to no single process";
    Board board;
    Pool pool(1, false, board);
    Future future = give_held(pool);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    pools_interrupt(board.pid());
    linger();
    board.open(POOLS_GATE);
    EXPECT_EQ(board.pid(), value_of<int>(future));
}

TEST(PoolOfThreads, HasNeitherDeadlinesNorLimits)
{
    spork_pool_options o = options_of(1, true);
    o.task_timeout_ms = 1000;
    EXPECT_EQ(nullptr, spork_pool_new_with(&o));
    EXPECT_EQ(SPORK_UNSUPPORTED, spork_last_status());
    EXPECT_TRUE(says("thread"));
    o = options_of(1, true);
    o.max_memory = kMiB << 10;
    EXPECT_EQ(nullptr, spork_pool_new_with(&o));
    EXPECT_EQ(SPORK_UNSUPPORTED, spork_last_status());
    EXPECT_TRUE(says("thread"));
    Pool pool(1, true);
    const spork_task_options timeout = within(kWatchdogMs);
    expect_refused(SPORK_UNSUPPORTED, pool, pools_square, spork_pack(3), &timeout);
    EXPECT_EQ(0u, count(pool).submitted);
    EXPECT_EQ(9, square(pool, 3));
}

TEST(PoolOfNobody, NeedsSporkInit)
{
    harness_program *program = harness_run("pool-no-init", "");
    ASSERT_NE(nullptr, program);
    std::string output = harness_output(program);
    EXPECT_TRUE(says("NULL SPORK_BAD_STATE ", output));
    EXPECT_TRUE(says("spork_init", output));
    EXPECT_EQ(0, harness_wait(program));
    harness_free(program);
}

// ---- tasks and their values ----

class PoolTask : public Both {};
FOR_BOTH(PoolTask);

TEST_P(PoolTask, GivesItsValuesBack)
{
    Pool pool(2, threads());
    Future future = give(pool, pools_square, spork_pack(3));
    EXPECT_EQ(SPORK_OK, how(future));
    EXPECT_STREQ("", spork_future_error(future));
    EXPECT_EQ(9, value_of<int>(future));
}

TEST_P(PoolTask, RunsInAWorkerAndBesideOthers)
{
    Board board;
    Pool pool(2, threads(), board);
    std::vector<Future> held;
    for (int i = 0; i < 2; i++) held.push_back(give_held(pool));
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 2)); // both at once
    board.open(POOLS_GATE);
    int one = value_of<int>(held[0]), other = value_of<int>(held[1]);
    if (threads()) {
        EXPECT_EQ(spork_getpid(), one);
        EXPECT_EQ(spork_getpid(), other);
    } else
        EXPECT_EQ(3u, (std::set<int>{spork_getpid(), one, other}.size()));
}

TEST_P(PoolTask, KnowsItsPlaceAndItsAttempt)
{
    Pool pool(1, threads());
    pools_place place = place_of(give(pool, pools_where, spork_pack("one", 2)));
    EXPECT_EQ(0u, place.worker);
    EXPECT_EQ(1u, place.attempt);
    EXPECT_EQ(2u, place.arguments);
    EXPECT_EQ(0u, place.index);
    EXPECT_FALSE(place.context);
    EXPECT_EQ(0u, place.context_size);
}

TEST_P(PoolTask, TravelsWithValuesOfAllKinds)
{
    Pool pool(1, threads());
    Future future = give(pool, pools_values, pools_all_values());
    EXPECT_EQ(SPORK_OK, how(future)) << why(future);
    EXPECT_EQ(0, pools_check_values(future));
}

TEST_P(PoolTask, TravelsWithSixteenValuesAndWithNone)
{
    Pool pool(1, threads());
    Future future = give(pool, pools_sixteen, spork_pack(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16));
    int n[16] = {};
    ASSERT_EQ(SPORK_OK, spork_future_get(future, kWatchdogMs, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7],
                                         &n[8], &n[9], &n[10], &n[11], &n[12], &n[13], &n[14], &n[15]))
        << spork_error();
    for (int i = 0; i < 16; i++) EXPECT_EQ(16 - i, n[i]);
    Future none = give(pool, pools_nothing);
    EXPECT_EQ(SPORK_OK, spork_future_check(none, kWatchdogMs)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork__future_get(none, 0, 0, nullptr)) << spork_error();
}

TEST_P(PoolTask, TravelsWithBytesOfAnySize)
{
    Pool pool(2, threads());
    const size_t sizes[] = {0,         1,          7,    4 * kKiB - 1, 4 * kKiB,    4 * kKiB + 1,
                            64 * kKiB, 100 * kKiB, kMiB, 3 * kMiB,     3 * kMiB + 1};
    std::vector<std::string> data;
    std::vector<Future> futures;
    for (size_t size : sizes) data.push_back(bytes_of(size, static_cast<unsigned>(size)));
    for (const std::string &bytes : data)
        futures.push_back(give(pool, pools_mirror, spork_pack(spork_bytes_of(bytes.data(), bytes.size()))));
    for (size_t i = 0; i < data.size(); i++) EXPECT_TRUE(same(data[i], bytes_from(futures[i]))) << data[i].size();
}

TEST_P(PoolTask, TravelsWithTextsOfAnySize)
{
    Pool pool(2, threads());
    for (size_t size : {size_t{0}, size_t{1}, 4 * kKiB, 100 * kKiB, 3 * kMiB}) {
        std::string text(size, 'a');
        Future future = give(pool, pools_mirror_text, spork_pack(text.c_str()));
        const char *got = nullptr;
        ASSERT_EQ(SPORK_OK, spork_future_get(future, kWatchdogMs, &got)) << spork_error();
        EXPECT_TRUE(same(text, got)) << size;
    }
}

TEST_P(PoolTask, HasACopyOfItsValues)
{
    Board board;
    Pool pool(1, threads(), board);
    Future busy = give_held(pool);
    std::string small = bytes_of(100, 1), large = bytes_of(3 * kMiB, 2);
    const std::string small_before = small, large_before = large;
    Future one = give(pool, pools_mirror, spork_pack(spork_bytes_of(small.data(), small.size())));
    Future other = give(pool, pools_mirror, spork_pack(spork_bytes_of(large.data(), large.size())));
    std::fill(small.begin(), small.end(), 'x');
    std::fill(large.begin(), large.end(), 'x');
    board.open(POOLS_GATE);
    EXPECT_TRUE(same(small_before, bytes_from(one)));
    EXPECT_TRUE(same(large_before, bytes_from(other)));
}

TEST_P(PoolTask, TakesAPointerToAThreadOnly)
{
    Pool pool(1, threads());
    long there = 5;
    if (processes()) {
        expect_refused(SPORK_INVALID, pool, pools_pointer, spork_pack(spork_pointer(&there)));
        EXPECT_EQ(0u, count(pool).submitted);
        return;
    }
    Future future = give(pool, pools_pointer, spork_pack(spork_pointer(&there)));
    long *back = nullptr;
    EXPECT_EQ(SPORK_OK, spork_future_get(future, kWatchdogMs, spork_pointer_into(&back))) << spork_error();
    EXPECT_EQ(&there, back);
    EXPECT_EQ(6, there);
}

TEST_P(PoolTask, TakesNoObjects)
{
    Pool pool(1, threads());
    spork_lock *lock = spork_lock_new();
    spork_queue *queue = spork_queue_new(0, 0);
    expect_refused(SPORK_UNSUPPORTED, pool, pools_nothing, spork_pack(lock));
    expect_refused(SPORK_UNSUPPORTED, pool, pools_nothing, spork_pack(1, queue));
    expect_refused(SPORK_UNSUPPORTED, pool, pools_nothing, spork_pack(spork_move(lock)));
    EXPECT_EQ(SPORK_OK, spork_lock_acquire(lock, 0)) << "it was moved: " << spork_error();
    EXPECT_EQ(SPORK_OK, spork_lock_release(lock));
    EXPECT_EQ(0u, count(pool).submitted);
    EXPECT_EQ(9, square(pool, 3));
    spork_queue_free(queue);
    spork_lock_free(lock);
}

TEST_P(PoolTask, IsAFunctionOfTheProgram)
{
    Pool pool(1, threads());
    expect_refused(SPORK_INVALID, pool, nullptr);
    if (processes()) {
        auto nowhere = std::make_unique<long[]>(16);
        expect_refused(SPORK_INVALID, pool, reinterpret_cast<spork_task_fn>(nowhere.get()));
    }
    EXPECT_EQ(9, square(pool, 3));
}

TEST_P(PoolTask, ThatCannotTravelIsNotGiven)
{
    Pool pool(1, threads());
    expect_refused(SPORK_INVALID, pool, pools_mirror_text, spork_pack(static_cast<const char *>(nullptr)));
    expect_refused(SPORK_INVALID, pool, pools_mirror, spork_pack(spork_bytes_of(nullptr, 10)));
    EXPECT_EQ(0u, count(pool).submitted);
    EXPECT_EQ(SPORK_INVALID, spork_pool_apply_async(pool, nullptr, SPORK_NO_ARGS, nullptr, nullptr));
    EXPECT_EQ(9, square(pool, 3));
}

TEST_P(PoolTask, ThatReturnsWhatCannotTravelHasFailed)
{
    Pool pool(1, threads());
    for (spork_task_fn fn : {pools_return_null, pools_return_lock}) {
        Future future = give(pool, fn);
        EXPECT_EQ(SPORK_FAILED, how(future));
        EXPECT_NE("", why(future));
    }
    Future pointer = give(pool, pools_return_pointer);
    EXPECT_EQ(threads() ? SPORK_OK : SPORK_FAILED, how(pointer)) << why(pointer);
    EXPECT_EQ(9, square(pool, 3));
    EXPECT_EQ(0u, count(pool).crashed);
}

TEST_P(PoolTask, IsTakenByOneWorkerInTheOrderInWhichItWasGiven)
{
    Board board;
    Pool pool(1, threads(), board);
    Future busy = give_held(pool);
    std::vector<Future> futures;
    for (int i = 0; i < 50; i++) futures.push_back(give(pool, pools_count, spork_pack(static_cast<int>(POOLS_FREE))));
    board.open(POOLS_GATE);
    for (long i = 0; i < 50; i++) EXPECT_EQ(i + 1, value_of<long>(futures[static_cast<size_t>(i)]));
}

TEST_P(PoolTask, CanBeCalledDirectlyWithATaskOfZeros)
{
    spork_task task = {};
    spork_args three = spork_pack(3), minus_three = spork_pack(-3);
    EXPECT_EQ(0, pools_square(&three, &task));
    EXPECT_NE(0, pools_square(&minus_three, &task));
    EXPECT_FALSE(spork_task_cancelled(&task));
    EXPECT_NE(0, spork_fail(&task, "%s", ""));
    EXPECT_EQ(nullptr, spork_task_alloc(&task, 100));
    EXPECT_EQ(SPORK_BAD_STATE, spork_last_status());
    EXPECT_TRUE(says("no task of a pool"));
}

TEST_P(PoolTask, ComesInHundredsOfThousands)
{
    Board board;
    Pool pool(2, threads(), board);
    const int many = harness_count(100000);
    for (int i = 0; i < many && !HasFailure(); i++)
        give_away(pool, pools_count, spork_pack(static_cast<int>(POOLS_FREE)));
    EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
    EXPECT_EQ(SPORK_OK, spork_pool_join(pool, 6 * kWatchdogMs)) << spork_error();
    EXPECT_EQ(many, board.get(POOLS_FREE));
    EXPECT_EQ(static_cast<uint64_t>(many), count(pool).completed);
}

TEST_P(PoolTask, ThatWaitsLeavesNothingBehindWhenItIsLarge)
{
    Board board;
    {
        Pool pool(1, threads(), board);
        Future busy = give_held(pool);
        std::vector<Future> futures;
        std::string large = bytes_of(kMiB, 3);
        for (int i = 0; i < 20; i++)
            futures.push_back(give(pool, pools_mirror, spork_pack(spork_bytes_of(large.data(), large.size()))));
        futures[3].free(); // one is let go of, one is cancelled, one is never asked
        EXPECT_EQ(SPORK_OK, spork_future_cancel(futures[4])) << spork_error();
        board.open(POOLS_GATE);
        for (size_t i = 5; i < futures.size(); i++) EXPECT_TRUE(same(large, bytes_from(futures[i])));
        EXPECT_EQ(SPORK_CANCELLED, how(futures[4]));
    } // and the books are balanced
}

// ---- one task, waited for ----

TEST_P(PoolTask, IsGivenAndWaitedForByApply)
{
    Pool pool(2, threads());
    spork_args *result = nullptr;
    ASSERT_EQ(SPORK_OK, spork_pool_apply(pool, pools_square, spork_pack(5), &result, kWatchdogMs)) << spork_error();
    int n = 0;
    EXPECT_EQ(SPORK_OK, spork_unpack(result, &n)) << spork_error();
    EXPECT_EQ(25, n);
    spork_args_free(result);
    EXPECT_EQ(SPORK_OK, spork_pool_apply(pool, pools_square, spork_pack(5), nullptr, SPORK_FOREVER)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_pool_apply(pool, pools_nothing, SPORK_NO_ARGS, &result, kWatchdogMs)) << spork_error();
    EXPECT_TRUE(result == nullptr || result->count == 0);
    spork_args_free(result);
}

TEST_P(PoolTask, ThatFailsIsToldByApply)
{
    Pool pool(2, threads());
    int dummy = 0;
    void *garbage = &dummy;
    auto *result = static_cast<spork_args *>(garbage);
    EXPECT_EQ(SPORK_FAILED, spork_pool_apply(pool, pools_square, spork_pack(-5), &result, kWatchdogMs));
    EXPECT_EQ(nullptr, result);
    EXPECT_TRUE(says("-5 is negative"));
    EXPECT_EQ(SPORK_FAILED, spork_last_status());
    EXPECT_EQ(SPORK_UNSUPPORTED, [&] {
        spork_lock *lock = spork_lock_new();
        spork_status status = spork_pool_apply(pool, pools_nothing, spork_pack(lock), &result, kWatchdogMs);
        spork_lock_free(lock);
        return status;
    }());
    EXPECT_EQ(SPORK_INVALID, spork_pool_apply(pool, nullptr, SPORK_NO_ARGS, &result, kWatchdogMs));
    EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << "it was looked at: " << spork_error();
}

TEST_P(PoolTask, IsCancelledByApplyIfItIsNotInTime)
{
    Board board;
    Pool pool(1, threads(), board);
    spork_args *result = nullptr;
    Future busy = give_held(pool);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    // One that waits never begins.
    EXPECT_EQ(SPORK_TIMEOUT,
              spork_pool_apply(pool, pools_count, spork_pack(static_cast<int>(POOLS_FREE)), &result, 20));
    EXPECT_EQ(nullptr, result);
    EXPECT_EQ(SPORK_TIMEOUT, spork_pool_apply(pool, pools_count, spork_pack(static_cast<int>(POOLS_FREE)), &result, 0));
    board.open(POOLS_GATE);
    EXPECT_EQ(SPORK_OK, how(busy)) << why(busy);
    EXPECT_EQ(9, square(pool, 3));
    EXPECT_EQ(0, board.get(POOLS_FREE));
    // One that runs is asked to stop.
    board.set(POOLS_GATE, 0);
    EXPECT_EQ(SPORK_TIMEOUT,
              spork_pool_apply(pool, pools_hold,
                               spork_pack(static_cast<int>(POOLS_WILLING), static_cast<int>(POOLS_GATE)), &result, 50));
    EXPECT_EQ(16, square(pool, 4));
    // Else it had not begun within these 50 ms, or was ended 100 ms after it was asked.
    if (board.get(POOLS_BEGUN) == 2 && (threads() || count(pool).crashed == 0)) {
        EXPECT_EQ(1, board.get(POOLS_ASKED));
    }
}

// ---- tasks that fail by themselves ----

class PoolTaskFails : public Both {};
FOR_BOTH(PoolTaskFails);

TEST_P(PoolTaskFails, WithAReasonOfItsOwn)
{
    Pool pool(1, threads());
    Future future = give(pool, pools_square, spork_pack(-7));
    EXPECT_EQ(SPORK_FAILED, how(future));
    EXPECT_TRUE(says("-7 is negative", why(future)));
    int n = 1234;
    EXPECT_EQ(SPORK_FAILED, spork_future_get(future, 0, &n));
    EXPECT_EQ(1234, n);
    EXPECT_TRUE(says("-7 is negative"));
    EXPECT_EQ(SPORK_FAILED, spork_last_status());
    EXPECT_EQ(SPORK_FAILED, spork_future_check(future, 0));
    EXPECT_TRUE(says("-7 is negative"));
}

TEST_P(PoolTaskFails, WithAReasonOfAnyLength)
{
    Pool pool(1, threads());
    for (size_t size : {size_t{1}, size_t{300}, 4 * kKiB, 100 * kKiB, kMiB}) {
        Future future = give(pool, pools_fail_long, spork_pack(size));
        EXPECT_EQ(SPORK_FAILED, how(future));
        EXPECT_NE(std::string::npos, why(future).find("<" + std::string(size, 'a') + ">")) << size;
    }
    Future empty = give(pool, pools_fail, spork_pack(""));
    EXPECT_EQ(SPORK_FAILED, how(empty));
    EXPECT_EQ(SPORK_FAILED, spork_future_check(empty, 0));
    EXPECT_NE("", why(empty));
    Future odd = give(pool, pools_fail, spork_pack("100 %s of \"h\xc3\xa9llo\"\n\ttwo lines"));
    EXPECT_EQ(SPORK_FAILED, how(odd));
    EXPECT_TRUE(says("100 %s of \"h\xc3\xa9llo\"", why(odd)));
}

TEST_P(PoolTaskFails, WithANumber)
{
    Pool pool(1, threads());
    for (int code : {1, 7, 255, 256, 65536, -1, -11, INT_MAX, INT_MIN}) { // none of them is cut to 8 bits
        Future future = give(pool, pools_code, spork_pack(code));
        EXPECT_EQ(SPORK_FAILED, how(future)) << code;
        EXPECT_TRUE(says(std::to_string(code), why(future)));
    }
    EXPECT_EQ(SPORK_OK, how(give(pool, pools_code, spork_pack(0))));
}

TEST_P(PoolTaskFails, WithTheLastSporkSentenceInIt)
{
    pools_make_sentence();
    const std::string sentence = spork_error();
    ASSERT_NE("", sentence);
    Pool pool(1, threads());
    Future future = give(pool, pools_sentence);
    EXPECT_EQ(SPORK_FAILED, how(future));
    EXPECT_TRUE(says(sentence, why(future)));
    // But not with one of a task before it in the same worker, nor with one of this thread.
    Future fine = give(pool, pools_sentence_fine), number = give(pool, pools_code, spork_pack(7));
    EXPECT_EQ(SPORK_OK, how(fine)) << why(fine);
    EXPECT_EQ(SPORK_FAILED, how(number));
    EXPECT_TRUE(says("7", why(number)));
    EXPECT_FALSE(says(sentence, why(number)));
    // What it says itself is better.
    Future own = give(pool, pools_fail, spork_pack("a reason of its own"));
    EXPECT_EQ(SPORK_FAILED, how(own));
    EXPECT_TRUE(says("a reason of its own", why(own)));
    EXPECT_FALSE(says(sentence, why(own)));
}

TEST_P(PoolTaskFails, BecauseItWasGivenOtherValues)
{
    Pool pool(1, threads());
    Future future = give(pool, pools_square, spork_pack("a text"));
    EXPECT_EQ(SPORK_FAILED, how(future));
    EXPECT_NE("", why(future)); // spork_unpack's sentence
}

TEST_P(PoolTaskFails, AlthoughItHasGivenValuesBack)
{
    Pool pool(1, threads());
    Future future = give(pool, pools_return_fail);
    EXPECT_EQ(SPORK_FAILED, how(future));
    EXPECT_TRUE(says("3", why(future)));
    int n = 1234;
    EXPECT_EQ(SPORK_FAILED, spork_future_get(future, 0, &n));
    EXPECT_EQ(1234, n);
}

TEST_P(PoolTaskFails, NotIfItReturnsZeroAfterAll)
{
    Pool pool(1, threads());
    Future future = give(pool, pools_fail_fine);
    EXPECT_EQ(SPORK_OK, how(future)) << why(future);
    EXPECT_EQ(2, value_of<int>(give(pool, pools_return_twice))); // and what it returned last counts
}

TEST_P(PoolTaskFails, AndIsNotTriedAgain)
{
    Board board;
    Pool pool(1, threads(), board);
    const spork_task_options again = with_retries(5);
    Future future = give(pool, pools_count_fail, spork_pack(static_cast<int>(POOLS_FREE)), &again);
    EXPECT_EQ(SPORK_FAILED, how(future));
    EXPECT_EQ(1, board.get(POOLS_FREE));
    EXPECT_EQ(1u, death_of(future).attempt);
    EXPECT_EQ(0u, count(pool).retried);
    EXPECT_EQ(0u, count(pool).crashed);
    EXPECT_EQ(0u, count(pool).replaced);
}

TEST_P(PoolTaskFails, AndItsWorkerIsAsGoodAsNew)
{
    Pool pool(1, threads());
    int pid = place_of(give(pool, pools_where)).pid;
    for (int i = 1; i <= 20; i++) EXPECT_EQ(SPORK_FAILED, how(give(pool, pools_square, spork_pack(-i))));
    EXPECT_EQ(pid, place_of(give(pool, pools_where)).pid);
    EXPECT_EQ(20u, count(pool).failed);
    EXPECT_EQ(2u, count(pool).completed);
}

TEST_P(PoolTaskFails, AndItsRecordTellsWhereItWas)
{
    Pool pool(1, threads());
    int pid = place_of(give(pool, pools_where)).pid;
    Future fine = give(pool, pools_nothing), future = give(pool, pools_square, spork_pack(-7));
    EXPECT_EQ(SPORK_FAILED, how(future));
    spork_death death = death_of(future);
    EXPECT_EQ(SPORK_RUNNING, death.exitcode); // its worker lives
    EXPECT_EQ(pid, death.pid);
    EXPECT_EQ(0u, death.worker);
    EXPECT_EQ(1u, death.attempt);
    EXPECT_EQ(3u, death.task);
    EXPECT_EQ(SPORK_OK, how(fine));
    EXPECT_EQ(SPORK_BAD_STATE, spork_future_death(fine, &death));
}

// ---- room for large results ----

class PoolAlloc : public Both {};
FOR_BOTH(PoolAlloc);

TEST_P(PoolAlloc, IsAlignedRoomForBytesOfAnySize)
{
    Pool pool(2, threads());
    for (size_t size : {size_t{1}, 4 * kKiB - 1, 4 * kKiB, 100 * kKiB, 3 * kMiB}) {
        for (unsigned seed = 1; seed <= 8; seed++) {
            Future future = give(pool, pools_alloc, spork_pack(size, seed));
            ASSERT_EQ(SPORK_OK, how(future)) << why(future);
            EXPECT_TRUE(same(bytes_of(size, seed), bytes_from(future))) << size;
        }
    }
}

TEST_P(PoolAlloc, NeedNotBeReturnedWhole)
{
    Pool pool(1, threads());
    const size_t size = 300 * kKiB;
    const std::string all = bytes_of(size, 5);
    for (auto [from, length] : {std::pair<size_t, size_t>{0, 1}, {1, 100 * kKiB}, {4 * kKiB, 0}, {size - 1, 1}}) {
        Future future = give(pool, pools_alloc_part, spork_pack(size, 5u, from, length));
        EXPECT_TRUE(same(all.substr(from, length), bytes_from(future))) << from << " " << length;
    }
}

TEST_P(PoolAlloc, HoldsAnArray)
{
    Pool pool(1, threads());
    for (size_t many : {size_t{1}, size_t{1000}, size_t{400000}}) {
        Future future = give(pool, pools_alloc_array, spork_pack(many));
        const double *numbers = nullptr;
        size_t got = 0;
        ASSERT_EQ(SPORK_OK, spork_future_get(future, kWatchdogMs, spork_array_into(&numbers, &got))) << spork_error();
        ASSERT_EQ(many, got);
        EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(numbers) % 16);
        for (size_t i = 0; i < many; i++) ASSERT_EQ(static_cast<double>(i) / 2, numbers[i]);
    }
}

TEST_P(PoolAlloc, IsReturnedBesideOtherValues)
{
    Pool pool(1, threads());
    for (size_t size : {size_t{10}, 4 * kKiB, kMiB}) {
        Future future = give(pool, pools_alloc_mixed, spork_pack(size));
        int one = 0;
        double last = 0;
        const char *text = nullptr;
        const uint16_t *array = nullptr;
        size_t many = 0;
        spork_bytes first = {}, second = {};
        ASSERT_EQ(SPORK_OK, spork_future_get(future, kWatchdogMs, &one, &text, &first, spork_array_into(&array, &many),
                                             &second, &last))
            << spork_error();
        EXPECT_EQ(1, one);
        EXPECT_STREQ("one", text);
        EXPECT_EQ(2.5, last);
        EXPECT_TRUE(same(bytes_of(size, 1), std::string(static_cast<const char *>(first.data), first.size)));
        EXPECT_TRUE(same(bytes_of(size, 2), std::string(static_cast<const char *>(second.data), second.size)));
        ASSERT_EQ(size, many);
        for (size_t i = 0; i < many; i++) ASSERT_EQ(static_cast<uint16_t>(i), array[i]);
    }
}

TEST_P(PoolAlloc, CanBeReturnedTwice)
{
    Pool pool(1, threads());
    Future future = give(pool, pools_alloc_twice, spork_pack(kMiB));
    spork_bytes one = {}, other = {};
    ASSERT_EQ(SPORK_OK, spork_future_get(future, kWatchdogMs, &one, &other)) << spork_error();
    const std::string expected = bytes_of(kMiB, 3);
    EXPECT_TRUE(same(expected, std::string(static_cast<const char *>(one.data), one.size)));
    EXPECT_TRUE(same(expected, std::string(static_cast<const char *>(other.data), other.size)));
}

TEST_P(PoolAlloc, IsGivenSixtyFourTimesToATask)
{
    Pool pool(1, threads());
    for (int round = 0; round < 2; round++) { // what one task had, the next can have
        Future future = give(pool, pools_alloc_many, spork_pack(5 * kKiB));
        int many = 0, status = 0;
        spork_bytes first = {}, last = {};
        ASSERT_EQ(SPORK_OK, spork_future_get(future, kWatchdogMs, &many, &status, &first, &last)) << spork_error();
        EXPECT_EQ(64, many);
        EXPECT_EQ(SPORK_NO_SPACE, status);
        EXPECT_TRUE(same(bytes_of(5 * kKiB, 1), std::string(static_cast<const char *>(first.data), first.size)));
        EXPECT_TRUE(same(bytes_of(5 * kKiB, 64), std::string(static_cast<const char *>(last.data), last.size)));
    }
}

TEST_P(PoolAlloc, IsRefusedIfItIsTooLarge)
{
    Pool pool(1, threads());
    Future future = give(pool, pools_alloc_too_large);
    bool refused = false;
    int status = -1;
    ASSERT_EQ(SPORK_OK, spork_future_get(future, kWatchdogMs, &refused, &status)) << spork_error();
    EXPECT_TRUE(refused);
    EXPECT_EQ(SPORK_NO_SPACE, status);
    EXPECT_EQ(9, square(pool, 3));
}

TEST_P(PoolAlloc, LeavesNothingBehindHoweverTheTaskEnds)
{
    Pool pool(1, threads());
    auto drop = [&](const char *way) {
        Future future = give(pool, pools_alloc_drop, spork_pack(3 * kMiB, way));
        return how(future);
    };
    EXPECT_EQ(SPORK_OK, drop("return"));
    EXPECT_EQ(SPORK_FAILED, drop("fail"));
    if (processes()) {
        EXPECT_EQ(SPORK_CRASHED, drop("exit"));
    }
    EXPECT_EQ(SPORK_OK, drop("return"));
    int mapped = harness_mappings();
    for (int i = 0; i < 20; i++) {
        EXPECT_EQ(SPORK_OK, drop("return"));
        EXPECT_EQ(SPORK_FAILED, drop("fail"));
    }
    if (processes()) {
        EXPECT_EQ(SPORK_CRASHED, drop("exit"));
        EXPECT_EQ(SPORK_CRASHED, drop("kill"));
        EXPECT_EQ(SPORK_OK, drop("return"));
    }
    until([=] { return harness_mappings() <= mapped + 1; }, "memory of results stays mapped");
}

TEST_P(PoolAlloc, LivesAsLongAsTheFuture)
{
    Pool pool(1, threads());
    Future future = give(pool, pools_alloc, spork_pack(kMiB, 1u));
    EXPECT_EQ(SPORK_OK, how(future)) << why(future);
    for (unsigned seed = 2; seed < 12; seed++) // others get room of their own
        EXPECT_EQ(SPORK_OK, how(give(pool, pools_alloc, spork_pack(kMiB, seed))));
    if (processes()) {
        EXPECT_EQ(SPORK_CRASHED, how(give(pool, pools_crash, spork_pack("kill", 0))));
    }
    pool.end();
    EXPECT_TRUE(same(bytes_of(kMiB, 1), bytes_from(future)));
}

TEST_F(Processes, OfAPoolDoNotCopyALargeResult)
{
    constexpr size_t size = 256 * kMiB;
    const long before = harness_rss_kib();
    if (!native() || pools_rss_kib(spork_getpid()) == 0)
        GTEST_SKIP() << "skipped: this system does not tell how much memory a process has, or sanitizers have more";
    Pool pool(1, false);
    int pid = place_of(give(pool, pools_where)).pid;
    Future future = give(pool, pools_alloc, spork_pack(size, 1u));
    spork_bytes bytes = {};
    ASSERT_EQ(SPORK_OK, spork_future_get(future, 3 * kWatchdogMs, &bytes)) << spork_error();
    ASSERT_EQ(size, bytes.size);
    const auto *at = static_cast<const unsigned char *>(bytes.data);
    const std::string begin = bytes_of(4 * kKiB, 1);
    EXPECT_EQ(0, memcmp(at, begin.data(), begin.size()));
    long all = harness_rss_kib() - before + pools_rss_kib(pid);
    printf("%ld MiB for a result of %d MiB\n", all / 1024, static_cast<int>(size / kMiB));
    EXPECT_LT(all, static_cast<long>(size / kKiB * 11 / 10) + 16 * 1024);
}

// ---- futures ----

class PoolFuture : public Both {};
FOR_BOTH(PoolFuture);

TEST_P(PoolFuture, TellsNothingBeforeTheEnd)
{
    Board board;
    Pool pool(1, threads(), board);
    Future future = give_held(pool);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    int n = 1234;
    size_t index = 99;
    spork_death death = {};
    spork_future *one = future;
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_status(future));
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_wait(future, 0));
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_wait(future, 20));
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_check(future, 0));
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_get(future, 0, &n));
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_get(future, 20, &n));
    EXPECT_EQ(1234, n);
    EXPECT_STRNE("", spork_error());
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_wait_all(&one, 1, 0));
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_wait_any(&one, 1, 0, &index));
    EXPECT_STREQ("", spork_future_error(future));
    EXPECT_EQ(SPORK_BAD_STATE, spork_future_death(future, &death));
    board.open(POOLS_GATE);
    EXPECT_EQ(board.pid(), value_of<int>(future));
}

TEST_P(PoolFuture, IsAskedAsOftenAsYouLike)
{
    Pool pool(1, threads());
    Future future = give(pool, pools_mirror_text, spork_pack("a text"));
    const char *one = nullptr, *other = nullptr;
    EXPECT_EQ(SPORK_OK, spork_future_get(future, kWatchdogMs, &one));
    EXPECT_EQ(SPORK_OK, spork_future_get(future, 0, &other));
    EXPECT_STREQ("a text", one);
    EXPECT_STREQ("a text", other);
    char buffer[7];
    EXPECT_EQ(SPORK_OK, spork_future_get(future, 0, spork_text_into(buffer, sizeof buffer)));
    EXPECT_STREQ("a text", buffer);
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(SPORK_OK, spork_future_wait(future, 0));
        EXPECT_EQ(SPORK_OK, spork_future_check(future, 0));
        EXPECT_EQ(SPORK_OK, spork_future_status(future));
    }
}

TEST_P(PoolFuture, DoesNotConvertItsValues)
{
    Pool pool(1, threads());
    Future future = give(pool, pools_square, spork_pack(20)); // 400
    ASSERT_EQ(SPORK_OK, how(future));
    double number = 1.5;
    unsigned char byte = 7;
    int n = 1234, more = 5678;
    const char *text = "untouched";
    EXPECT_EQ(SPORK_INVALID, spork_future_get(future, 0, &number));
    EXPECT_EQ(SPORK_INVALID, spork_future_get(future, 0, &byte));
    EXPECT_EQ(SPORK_INVALID, spork_future_get(future, 0, &text));
    EXPECT_EQ(SPORK_INVALID, spork_future_get(future, 0, &n, &more));
    EXPECT_EQ(SPORK_INVALID, spork__future_get(future, 0, 0, nullptr));
    EXPECT_STRNE("", spork_error());
    EXPECT_EQ(1.5, number);
    EXPECT_EQ(7, byte);
    EXPECT_STREQ("untouched", text);
    EXPECT_EQ(1234, n);
    EXPECT_EQ(5678, more);
    EXPECT_EQ(SPORK_OK, spork_future_status(future)); // the task itself is fine
    int64_t wide = 0;
    EXPECT_EQ(SPORK_OK, spork_future_get(future, 0, &wide));
    EXPECT_EQ(400, wide);
    EXPECT_EQ(SPORK_INVALID, spork_future_get(give(pool, pools_nothing), kWatchdogMs, &n));
}

TEST_P(PoolFuture, LeavesTheThreadsSentenceAloneWhereItSaysSo)
{
    Pool pool(1, threads());
    Future failed = give(pool, pools_square, spork_pack(-1));
    pools_make_sentence();
    const std::string before = spork_error();
    EXPECT_EQ(SPORK_OK, spork_future_wait(failed, kWatchdogMs));
    EXPECT_EQ(SPORK_FAILED, spork_future_status(failed));
    EXPECT_TRUE(says("negative", why(failed)));
    EXPECT_EQ(before, spork_error());
    EXPECT_EQ(SPORK_FAILED, spork_future_check(failed, 0));
    EXPECT_TRUE(says("negative"));
}

TEST_P(PoolFuture, FreedBeforeItsTaskBeginsOrEndsLetsItGoOn)
{
    Board board;
    Pool pool(1, threads(), board);
    Future running = give_held(pool), waiting = give(pool, pools_count, spork_pack(static_cast<int>(POOLS_FREE)));
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    running.free();
    waiting.free();
    board.open(POOLS_GATE);
    board.reaches(POOLS_ENDED, 1);
    board.reaches(POOLS_FREE, 1);
    until([&] { return count(pool).completed == 2; }, "they do not end");
    EXPECT_EQ(0, board.get(POOLS_ASKED));
    EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << spork_error();
}

TEST_P(PoolFuture, FreedAfterTheEndTakesItsValuesAlong)
{
    Pool pool(1, threads());
    for (int i = 0; i < 20; i++) {
        std::string bytes = bytes_of(kMiB, static_cast<unsigned>(i));
        Future asked = give(pool, pools_mirror, spork_pack(spork_bytes_of(bytes.data(), bytes.size())));
        Future unasked = give(pool, pools_mirror, spork_pack(spork_bytes_of(bytes.data(), bytes.size())));
        EXPECT_TRUE(same(bytes, bytes_from(asked)));
        EXPECT_EQ(SPORK_OK, how(unasked));
    } // and the books are balanced
}

TEST_P(PoolFuture, OutlivesThePool)
{
    Board board;
    Pool pool(1, threads(), board);
    const std::string large = bytes_of(3 * kMiB, 1);
    Future fine = give(pool, pools_mirror_text, spork_pack("a text"));
    Future big = give(pool, pools_mirror, spork_pack(spork_bytes_of(large.data(), large.size())));
    Future failed = give(pool, pools_square, spork_pack(-1));
    EXPECT_EQ(SPORK_FAILED, how(failed));
    Future running = give_held(pool, POOLS_WILLING), waiting = give(pool, pools_square, spork_pack(3));
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    pool.free();
    const char *text = nullptr;
    int n = 1234;
    size_t index = 99;
    EXPECT_EQ(SPORK_OK, spork_future_get(fine, 0, &text));
    EXPECT_STREQ("a text", text);
    EXPECT_TRUE(same(large, bytes_from(big)));
    EXPECT_EQ(SPORK_FAILED, spork_future_check(failed, 0));
    EXPECT_TRUE(says("negative"));
    for (spork_future *future : {running.get(), waiting.get()}) {
        EXPECT_EQ(SPORK_CLOSED, how(future));
        EXPECT_EQ(SPORK_CLOSED, spork_future_get(future, 0, &n));
        EXPECT_STRNE("", spork_error());
        EXPECT_EQ(SPORK_BAD_STATE, spork_future_cancel(future));
        EXPECT_EQ(SPORK_OK, spork_future_wait_any(&future, 1, 0, &index));
    }
    EXPECT_EQ(0u, death_of(waiting).attempt);
    EXPECT_EQ(0, death_of(waiting).pid);
    EXPECT_EQ(1u, death_of(running).attempt);
}

TEST_P(PoolFuture, IsAskedByManyThreadsAtOnce)
{
    Board board;
    Pool pool(1, threads(), board);
    Future future = give_held(pool);
    std::atomic<int> right{0};
    {
        std::vector<std::unique_ptr<Thread>> askers;
        for (int i = 0; i < 8; i++)
            askers.push_back(std::make_unique<Thread>([&] {
                int pid = 0;
                if (spork_future_get(future, kWatchdogMs, &pid) == SPORK_OK && pid == board.pid()) right++;
            }));
        board.reaches(POOLS_BEGUN, 1);
        linger();
        board.open(POOLS_GATE);
    }
    EXPECT_EQ(8, right);
}

TEST_P(PoolFuture, OfManyIsTheFirstByItsPlaceThatHasEnded)
{
    Board board;
    Pool pool(3, threads(), board);
    enum { FIRST = POOLS_FREE, SECOND, THIRD };
    std::vector<Future> own;
    for (int gate : {FIRST, SECOND, THIRD}) own.push_back(give_held(pool, POOLS_STUBBORN, gate));
    spork_future *futures[] = {nullptr, own[0], own[1], own[2]};
    size_t index = 99;
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_wait_any(futures, 4, 20, &index));
    board.open(THIRD);
    EXPECT_EQ(SPORK_OK, spork_future_wait_any(futures, 4, kWatchdogMs, &index));
    EXPECT_EQ(3u, index);
    board.open(FIRST);
    EXPECT_EQ(SPORK_OK, how(own[0]));
    EXPECT_EQ(SPORK_OK, spork_future_wait_any(futures, 4, 0, &index)); // both have ended
    EXPECT_EQ(1u, index);
    futures[1] = nullptr;
    EXPECT_EQ(SPORK_OK, spork_future_wait_any(futures, 4, 0, &index));
    EXPECT_EQ(3u, index);
    futures[3] = nullptr;
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_wait_any(futures, 4, 0, &index));
    {
        Thread opener([&] {
            linger();
            board.open(SECOND);
        });
        EXPECT_EQ(SPORK_OK, spork_future_wait_any(futures, 4, SPORK_FOREVER, &index));
    }
    EXPECT_EQ(2u, index);
    futures[2] = nullptr;
    EXPECT_EQ(SPORK_CLOSED, spork_future_wait_any(futures, 4, SPORK_FOREVER, &index));
    EXPECT_EQ(SPORK_CLOSED, spork_future_wait_any(nullptr, 0, SPORK_FOREVER, &index));
}

TEST_P(PoolFuture, OfThreeHundredIsTakenAsItEnds)
{
    Pool pool(2, threads()), other(2, threads());
    std::vector<Future> own;
    std::vector<spork_future *> left;
    for (int i = 0; i < 300; i++) own.push_back(give(i % 2 == 0 ? pool : other, pools_square, spork_pack(i)));
    for (const Future &future : own) left.push_back(future);
    for (int i = 0; i < 300; i++) {
        size_t index = 999;
        ASSERT_EQ(SPORK_OK, spork_future_wait_any(left.data(), left.size(), kWatchdogMs, &index)) << spork_error();
        ASSERT_LT(index, left.size());
        ASSERT_NE(nullptr, left[index]) << "taken twice";
        int n = static_cast<int>(index);
        EXPECT_EQ(n * n, value_of<int>(left[index]));
        left[index] = nullptr;
    }
    size_t index = 999;
    EXPECT_EQ(SPORK_CLOSED, spork_future_wait_any(left.data(), left.size(), 0, &index));
}

TEST_P(PoolFuture, OfManyIsWaitedForTogetherWithAllOthers)
{
    Board board;
    Pool pool(2, threads(), board);
    std::vector<Future> own;
    own.push_back(give_held(pool));
    for (int i = 0; i < 20; i++) own.push_back(give(pool, pools_square, spork_pack(i - 10))); // some fail
    std::vector<spork_future *> futures(own.begin(), own.end());
    futures.push_back(nullptr);
    EXPECT_EQ(SPORK_TIMEOUT, spork_future_wait_all(futures.data(), futures.size(), 20));
    EXPECT_EQ(SPORK_OK, spork_future_wait_all(futures.data() + 1, 20, kWatchdogMs));
    board.open(POOLS_GATE);
    EXPECT_EQ(SPORK_OK, spork_future_wait_all(futures.data(), futures.size(), SPORK_FOREVER));
    for (const Future &future : own) EXPECT_NE(SPORK_TIMEOUT, spork_future_status(future));
    EXPECT_EQ(SPORK_OK, spork_future_wait_all(nullptr, 0, SPORK_FOREVER));
}

TEST_P(PoolFuture, IsWaitedForBesideOtherThings)
{
    Board board;
    Pool pool(2, threads(), board);
    Future future = give_held(pool);
    spork_queue *queue = spork_queue_new(0, 0);
    spork_event *event = spork_event_new();
    spork_connection *reader = nullptr, *writer = nullptr;
    ASSERT_EQ(SPORK_OK, spork_pipe(&reader, &writer)) << spork_error();
    spork_wait_item items[] = {spork_on(queue), spork_on(event), spork_on(future.get()), spork_on(reader)};
    EXPECT_EQ(SPORK_TIMEOUT, spork_wait(items, 4, 20));
    EXPECT_EQ(SPORK_OK, spork_event_set(event));
    EXPECT_EQ(SPORK_OK, spork_wait(items, 4, kWatchdogMs)) << spork_error();
    EXPECT_TRUE(items[1].ready);
    EXPECT_FALSE(items[2].ready);
    EXPECT_EQ(SPORK_OK, spork_event_clear(event));
    {
        Thread opener([&] {
            linger();
            board.open(POOLS_GATE);
        });
        EXPECT_EQ(SPORK_OK, spork_wait(items, 4, kWatchdogMs)) << spork_error();
    }
    for (size_t i = 0; i < 4; i++) EXPECT_EQ(i == 2, items[i].ready) << i;
    EXPECT_EQ(SPORK_OK, spork_future_status(future));
    EXPECT_EQ(SPORK_OK, spork_wait(items, 4, 0)); // and it stays so
    EXPECT_TRUE(items[2].ready);
    spork_native handle = 0;
    EXPECT_EQ(SPORK_READY, spork_arm(spork_on(future.get()), &handle)) << spork_error();
    items[2].events = SPORK_WRITE; // there is no such thing
    EXPECT_EQ(SPORK_INVALID, spork_wait(items, 4, 20));
    spork_connection_free(reader);
    spork_connection_free(writer);
    spork_event_free(event);
    spork_queue_free(queue);
}

TEST_P(PoolFuture, OfThreeHundredIsFoundByAWaitForAll)
{
    Board board;
    Pool pool(2, threads(), board);
    std::vector<Future> own;
    own.push_back(give_held(pool, POOLS_STUBBORN, POOLS_FREE)); // keeps one worker
    own.push_back(give_held(pool));                             // and this one the other
    for (int i = 0; i < 298; i++) own.push_back(give(pool, pools_square, spork_pack(i)));
    std::vector<spork_wait_item> items;
    for (const Future &future : own) items.push_back(spork_on(future.get()));
    EXPECT_EQ(SPORK_TIMEOUT, spork_wait(items.data(), items.size(), 0));
    board.open(POOLS_GATE);
    EXPECT_EQ(SPORK_OK, how(own.back()));
    until([&] { return count(pool).completed == 299; }, "they do not end");
    EXPECT_EQ(SPORK_OK, spork_wait(items.data(), items.size(), 0)) << spork_error();
    for (size_t i = 0; i < items.size(); i++) EXPECT_EQ(i != 0, items[i].ready) << i;
    board.open(POOLS_FREE);
    EXPECT_EQ(SPORK_OK, how(own[0]));
}

} // namespace
