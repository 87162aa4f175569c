// Maps over arrays, and tasks from a source. Runs once under each start method.
#include "fault.h"
#include "pool_case.h"

namespace {

// ---- map ----

class PoolMap : public Both {
  protected:
    static std::vector<int64_t> numbers(size_t many)
    {
        std::vector<int64_t> list(many);
        for (size_t i = 0; i < many; i++) list[i] = static_cast<int64_t>(i);
        return list;
    }
    static std::vector<pools_job> squares(size_t many)
    {
        std::vector<pools_job> jobs(many);
        for (size_t i = 0; i < many; i++) jobs[i] = {POOLS_SQUARE, static_cast<int64_t>(i)};
        return jobs;
    }
    // Each item is right, or has that status, and then its place in `out` is as it was: -1.
    static void expect_all(const std::vector<int64_t> &out, const std::vector<spork_status> &statuses,
                           const std::map<size_t, spork_status> &bad)
    {
        for (size_t i = 0; i < out.size(); i++) {
            auto found = bad.find(i);
            spork_status expected = found == bad.end() ? SPORK_OK : found->second;
            EXPECT_EQ(expected, statuses[i]) << "item " << i;
            EXPECT_EQ(expected == SPORK_OK ? static_cast<int64_t>(i * i) : -1, out[i]) << "item " << i;
        }
    }
};
FOR_BOTH(PoolMap);

TEST_P(PoolMap, CallsTheFunctionOnceForEachItem)
{
    Board board;
    Pool pool(3, threads(), board);
    for (size_t many : {0u, 1u, 2u, 7u, 100u, 1000u}) {
        for (size_t chunk : {0u, 1u, 3u, 100u, 5000u}) {
            SCOPED_TRACE(std::to_string(many) + " items, chunks of " + std::to_string(chunk));
            std::vector<int64_t> in = numbers(many + 1), out(many + 1, -1);
            for (size_t i = 0; i < many; i++) board.set(POOLS_RUNS + static_cast<int>(i), 0);
            spork_map_options o = {};
            o.chunk = chunk;
            ASSERT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_square, in.data(), out.data(), many, &o))
                << spork_error();
            for (size_t i = 0; i < many; i++) ASSERT_EQ(static_cast<int64_t>(i * i), out[i]);
            EXPECT_EQ(-1, out[many]);
            ASSERT_EQ(SPORK_OK,
                      spork__pool_map(pool, pools_item_visit, in.data(), sizeof in[0], nullptr, 0, many, &o, sizeof o))
                << spork_error();
            for (size_t i = 0; i < many; i++) ASSERT_EQ(1, board.get(POOLS_RUNS + static_cast<int>(i))) << i;
        }
    }
}

TEST_P(PoolMap, NeedsNoOptions)
{
    Pool pool(2, threads());
    std::vector<int64_t> in = numbers(1000), out(1000);
    EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_square, in.data(), out.data(), in.size(), nullptr));
    int64_t sum = 0;
    for (int64_t n : out) sum += n;
    EXPECT_EQ(332833500, sum);
}

TEST_P(PoolMap, ReadsAndWritesItemsOfAnySize)
{
    Pool pool(2, threads());
    std::vector<unsigned char> bytes(100001), turned(100001);
    for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<unsigned char>(i * 7);
    EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_byte, bytes.data(), turned.data(), bytes.size(), nullptr));
    for (size_t i = 0; i < bytes.size(); i++) ASSERT_EQ(255 - bytes[i], turned[i]) << i;
    std::vector<pools_block> blocks(500), mirrored(500);
    for (size_t i = 0; i < blocks.size(); i++)
        pools_fill(blocks[i].bytes, sizeof blocks[i].bytes, static_cast<unsigned>(i));
    EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_block, blocks.data(), mirrored.data(), blocks.size(), nullptr));
    for (size_t i = 0; i < blocks.size(); i++) {
        std::reverse(std::begin(blocks[i].bytes), std::end(blocks[i].bytes));
        ASSERT_EQ(0, memcmp(blocks[i].bytes, mirrored[i].bytes, sizeof blocks[i].bytes)) << i;
    }
}

TEST_P(PoolMap, MayWriteWhereItReads)
{
    Pool pool(2, threads());
    std::vector<int64_t> list = numbers(1000);
    EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_square, list.data(), list.data(), list.size(), nullptr));
    for (size_t i = 0; i < list.size(); i++) ASSERT_EQ(static_cast<int64_t>(i * i), list[i]);
    // Those that fail are as they were.
    std::vector<pools_job> jobs = squares(20);
    jobs[3].what = POOLS_FAIL;
    EXPECT_EQ(SPORK_FAILED, spork_pool_map(pool, pools_item_job_in_place, jobs.data(), jobs.data(), 20, nullptr));
    for (int i = 0; i < 20; i++) {
        const pools_job &job = jobs[static_cast<size_t>(i)];
        EXPECT_EQ(i == 3 ? 3 : i * i, job.value) << i;
    }
}

TEST_P(PoolMap, NeedsNeitherInNorOut)
{
    Board board;
    Pool pool(2, threads(), board);
    std::vector<size_t> out(100, 999);
    EXPECT_EQ(SPORK_OK, spork__pool_map(pool, pools_item_index, nullptr, 0, out.data(), sizeof out[0], 100, nullptr,
                                        sizeof(spork_map_options)))
        << spork_error();
    for (size_t i = 0; i < 100; i++) EXPECT_EQ(i, out[i]);
    EXPECT_EQ(SPORK_OK,
              spork__pool_map(pool, pools_item_visit, nullptr, 0, nullptr, 0, 100, nullptr, sizeof(spork_map_options)))
        << spork_error();
    for (int i = 0; i < 100; i++) EXPECT_EQ(1, board.get(POOLS_RUNS + i));
    EXPECT_EQ(SPORK_OK,
              spork__pool_map(pool, pools_item_visit, nullptr, 0, nullptr, 0, 0, nullptr, sizeof(spork_map_options)));
}

TEST_P(PoolMap, RefusesWhatCannotMeanAnything)
{
    Pool pool(1, threads());
    int64_t in[2] = {1, 2}, out[2] = {5, 6};
    EXPECT_EQ(SPORK_INVALID, spork_pool_map(pool, static_cast<spork_item_fn>(nullptr), in, out, 2, nullptr));
    EXPECT_STRNE("", spork_error());
    int64_t *nothing = nullptr;
    EXPECT_EQ(SPORK_INVALID, spork_pool_map(pool, pools_item_square, nothing, out, 2, nullptr));
    EXPECT_EQ(SPORK_INVALID, spork_pool_map(pool, pools_item_square, in, nothing, 2, nullptr));
    spork_map_options o = {};
    o.context_size = 10;
    EXPECT_EQ(SPORK_INVALID, spork_pool_map(pool, pools_item_square, in, out, 2, &o));
    EXPECT_EQ(5, out[0]);
    EXPECT_EQ(0u, count(pool).submitted);
    EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
    EXPECT_EQ(SPORK_CLOSED, spork_pool_map(pool, pools_item_square, in, out, 2, nullptr));
    EXPECT_EQ(5, out[0]);
}

TEST_P(PoolMap, GivesEachItemItsIndexItsPlaceAndTheContext)
{
    Pool pool(2, threads());
    std::vector<pools_place> out(50);
    const char context[10] = "constant";
    spork_map_options o = {};
    o.chunk = 4;
    o.context = context;
    o.context_size = sizeof context;
    ASSERT_EQ(SPORK_OK,
              spork__pool_map(pool, pools_item_where, nullptr, 0, out.data(), sizeof out[0], 50, &o, sizeof o))
        << spork_error();
    for (size_t i = 0; i < 50; i++) {
        EXPECT_EQ(i, out[i].index);
        EXPECT_EQ(1u, out[i].attempt);
        EXPECT_LT(out[i].worker, 2u);
        EXPECT_TRUE(out[i].context);
        EXPECT_EQ(10u, out[i].context_size);
    }
    ASSERT_EQ(SPORK_OK,
              spork__pool_map(pool, pools_item_where, nullptr, 0, out.data(), sizeof out[0], 50, nullptr, sizeof o));
    EXPECT_FALSE(out[49].context); // none is left of the last one
    EXPECT_EQ(0u, out[49].context_size);
}

TEST_P(PoolMap, SharesAContextOfAnySize)
{
    Pool pool(2, threads());
    const double factor = 2.5;
    std::vector<int> in(100);
    for (int i = 0; i < 100; i++) in[static_cast<size_t>(i)] = i;
    std::vector<double> scaled(100);
    spork_map_options o = {};
    o.context = &factor;
    o.context_size = sizeof factor;
    EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_scale, in.data(), scaled.data(), 100, &o)) << spork_error();
    for (int i = 0; i < 100; i++) EXPECT_EQ(2.5 * i, scaled[static_cast<size_t>(i)]);
    const std::string large = bytes_of(3 * kMiB, 1);
    std::vector<size_t> at;
    for (size_t i = 0; i < 100; i++) at.push_back(i * 31457);
    std::vector<int> got(100);
    o.context = large.data();
    o.context_size = large.size();
    EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_sum, at.data(), got.data(), 100, &o)) << spork_error();
    for (size_t i = 0; i < 100; i++) EXPECT_EQ(static_cast<unsigned char>(large[at[i]]), got[i]);
}

TEST_P(PoolMap, HasItemsThatWriteAndReturnNothing)
{
    Pool pool(1, threads());
    int64_t in[2] = {}, out[2] = {};
    EXPECT_EQ(SPORK_FAILED, spork_pool_map(pool, pools_item_return, in, out, 2, nullptr));
    EXPECT_TRUE(says("writing to `out`"));
}

TEST_P(PoolMap, TellsTheFirstItemThatFailedWhyAndHowMany)
{
    Pool pool(2, threads());
    std::vector<pools_job> jobs = squares(100);
    for (size_t i : {41u, 17u, 99u}) jobs[i].what = POOLS_FAIL;
    for (size_t chunk : {0u, 1u, 10u, 100u}) {
        std::vector<int64_t> out(100, -1);
        std::vector<spork_status> statuses(100, SPORK_INTERNAL);
        spork_map_options o = {};
        o.chunk = chunk;
        o.statuses = statuses.data();
        EXPECT_EQ(SPORK_FAILED, spork_pool_map(pool, pools_item_job, jobs.data(), out.data(), 100, &o));
        EXPECT_EQ(SPORK_FAILED, spork_last_status());
        EXPECT_TRUE(says("item 17 fails"));
        EXPECT_FALSE(says("item 41 fails"));
        EXPECT_TRUE(says("3"));
        expect_all(out, statuses, {{17, SPORK_FAILED}, {41, SPORK_FAILED}, {99, SPORK_FAILED}});
    }
    jobs = squares(10);
    jobs[9] = {POOLS_CODE, 4711};
    std::vector<int64_t> out(10, -1);
    EXPECT_EQ(SPORK_FAILED, spork_pool_map(pool, pools_item_job, jobs.data(), out.data(), 10, nullptr));
    EXPECT_TRUE(says("9"));
    EXPECT_TRUE(says("4711"));
    EXPECT_EQ(-1, out[9]);
    EXPECT_EQ(64, out[8]);
    EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << "map has told it: " << spork_error();
}

TEST_P(PoolMap, CountsAsOneTask)
{
    Pool pool(2, threads());
    std::vector<pools_job> jobs = squares(100);
    std::vector<int64_t> out(100);
    EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_job, jobs.data(), out.data(), 100, nullptr));
    spork_pool_counters counters = count(pool);
    EXPECT_EQ(1u, counters.submitted);
    EXPECT_EQ(1u, counters.completed);
    EXPECT_EQ(0u, counters.failed);
    EXPECT_EQ(0u, counters.pending);
    jobs[5].what = jobs[6].what = POOLS_FAIL;
    EXPECT_EQ(SPORK_FAILED, spork_pool_map(pool, pools_item_job, jobs.data(), out.data(), 100, nullptr));
    counters = count(pool);
    EXPECT_EQ(2u, counters.submitted);
    EXPECT_EQ(1u, counters.completed);
    EXPECT_EQ(1u, counters.failed);
}

TEST_P(PoolMap, TellsItsProgressOnTheCallersThread)
{
    struct Progress {
        std::vector<size_t> done;
        std::set<size_t> totals;
        std::set<std::thread::id> on;
        static void note(size_t done, size_t total, void *user)
        {
            auto *self = static_cast<Progress *>(user);
            self->done.push_back(done);
            self->totals.insert(total);
            self->on.insert(std::this_thread::get_id());
        }
    };
    Pool pool(2, threads());
    for (bool failing : {false, true}) {
        Progress progress;
        std::vector<pools_job> jobs = squares(200);
        if (failing) jobs[100].what = jobs[199].what = POOLS_FAIL;
        std::vector<int64_t> out(200);
        spork_map_options o = {};
        o.chunk = 5;
        o.progress = Progress::note;
        o.user = &progress;
        EXPECT_EQ(failing ? SPORK_FAILED : SPORK_OK,
                  spork_pool_map(pool, pools_item_job, jobs.data(), out.data(), 200, &o));
        ASSERT_FALSE(progress.done.empty());
        EXPECT_EQ(200u, progress.done.back());
        EXPECT_TRUE(std::is_sorted(progress.done.begin(), progress.done.end()));
        EXPECT_EQ(std::set<size_t>{200}, progress.totals);
        EXPECT_EQ(std::set<std::thread::id>{std::this_thread::get_id()}, progress.on);
    }
}

TEST_P(PoolMap, TellsItsProgressWhileItLasts)
{
    struct Half {
        const Board *board;
        size_t most_before = 0;
        static void note(size_t done, size_t total, void *user)
        {
            auto *self = static_cast<Half *>(user);
            if (self->board->get(POOLS_GATE) == 0) self->most_before = done;
            if (done == total - 1) self->board->open(POOLS_GATE);
        }
    };
    Board board;
    Pool pool(2, threads(), board);
    Half half = {&board};
    Thread opener([&] { // the watchdog
        pools_until(board, POOLS_GATE, 1);
        board.open(POOLS_GATE);
    });
    std::vector<pools_job> jobs = squares(50);
    jobs[0].what = POOLS_WAIT; // until all others are told to be done
    std::vector<int64_t> out(50);
    spork_map_options o = {};
    o.chunk = 1;
    o.progress = Half::note;
    o.user = &half;
    EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_job, jobs.data(), out.data(), 50, &o)) << spork_error();
    EXPECT_EQ(49u, half.most_before);
}

TEST_P(PoolMap, IsDoneForSeveralThreadsAtOnceAndBesideTasks)
{
    Pool pool(2, threads());
    std::atomic<int> wrong{0};
    {
        std::vector<std::unique_ptr<Thread>> mappers;
        for (size_t t = 0; t < 4; t++)
            mappers.push_back(std::make_unique<Thread>([&, t] {
                for (int round = 0; round < 5; round++) {
                    std::vector<int64_t> in = numbers(200 + t), out(200 + t, -1);
                    if (spork_pool_map(pool, pools_item_square, in.data(), out.data(), in.size(), nullptr) != SPORK_OK)
                        wrong++;
                    for (size_t i = 0; i < in.size(); i++) wrong += out[i] != static_cast<int64_t>(i * i);
                }
            }));
        for (int i = 0; i < 200; i++) wrong += square(pool, i % 100) != i % 100 * (i % 100);
    }
    EXPECT_EQ(0, wrong);
    EXPECT_EQ(220u, count(pool).completed);
}

TEST_P(PoolMap, WaitsForWorkersThatHaveOtherThingsToDo)
{
    Board board;
    Pool pool(1, threads(), board);
    Future held = give_held(pool);
    ASSERT_TRUE(board.reaches(POOLS_BEGUN, 1));
    Thread opener([&] {
        linger();
        board.open(POOLS_GATE);
    });
    std::vector<int64_t> in = numbers(10), out(10, -1);
    EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_square, in.data(), out.data(), 10, nullptr)) << spork_error();
    EXPECT_EQ(81, out[9]);
    EXPECT_EQ(SPORK_OK, how(held));
}

TEST_P(PoolMap, OfAPoolThatIsTerminatedTellsWhatWasDone)
{
    Board board;
    Pool pool(2, threads(), board);
    std::vector<pools_job> jobs = squares(20);
    jobs[5].what = jobs[10].what = POOLS_YIELD;
    std::vector<int64_t> out(20, -1);
    std::vector<spork_status> statuses(20, SPORK_INTERNAL);
    spork_map_options o = {};
    o.chunk = 1;
    o.statuses = statuses.data();
    Thread ender([&] {
        board.reaches(POOLS_BEGUN, 2);
        EXPECT_EQ(SPORK_OK, spork_pool_terminate(pool));
    });
    EXPECT_EQ(SPORK_CLOSED, spork_pool_map(pool, pools_item_job, jobs.data(), out.data(), 20, &o));
    EXPECT_STRNE("", spork_error());
    for (size_t i = 0; i < 20; i++) {
        bool fine = statuses[i] == SPORK_OK;
        EXPECT_TRUE(fine || statuses[i] == SPORK_CLOSED) << i << " " << spork_status_name(statuses[i]);
        EXPECT_EQ(fine ? static_cast<int64_t>(i * i) : -1, out[i]) << i;
    }
    EXPECT_EQ(SPORK_CLOSED, statuses[5]);
    EXPECT_EQ(SPORK_CLOSED, statuses[10]);
}

TEST_P(PoolMap, OfAPoolThatIsClosedMeanwhileIsDone)
{
    Board board;
    Pool pool(1, threads(), board);
    std::vector<pools_job> jobs = squares(20);
    jobs[5].what = POOLS_WAIT;
    std::vector<int64_t> out(20, -1);
    Thread ender([&] {
        board.reaches(POOLS_BEGUN, 1);
        EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
        board.open(POOLS_GATE);
    });
    EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_job, jobs.data(), out.data(), 20, nullptr)) << spork_error();
    for (size_t i = 0; i < 20; i++) EXPECT_EQ(static_cast<int64_t>(i * i), out[i]);
}

TEST_P(PoolMap, TakesTheOptionsOfAnOlderProgram)
{
    Pool pool(2, threads());
    std::vector<int64_t> in = numbers(10), out(10, -1);
    spork_map_options o = {};
    o.chunk = 3;
    o.progress = [](size_t, size_t, void *) { ADD_FAILURE() << "it is not read"; };
    EXPECT_EQ(SPORK_OK, spork__pool_map(pool, pools_item_square, in.data(), sizeof in[0], out.data(), sizeof out[0], 10,
                                        &o, offsetof(spork_map_options, progress)))
        << spork_error();
    EXPECT_EQ(81, out[9]);
}

// What a crash, a kill and a deadline cost a map.
class PoolMapCrash : public PoolMap {};
INSTANTIATE_TEST_SUITE_P(Of, PoolMapCrash, testing::Values(false), kind_of);

TEST_P(PoolMapCrash, CostsTheItemAloneInWhateverChunkItIs)
{
    Pool pool(2, false);
    std::vector<pools_job> jobs = squares(60);
    jobs[0].what = POOLS_EXIT;
    jobs[7].what = POOLS_NULL;
    jobs[8].what = POOLS_ABORT;
    jobs[30].what = POOLS_FAIL;
    jobs[59].what = POOLS_KILL;
    for (size_t chunk : {0u, 1u, 20u, 60u}) {
        SCOPED_TRACE(chunk);
        std::vector<int64_t> out(60, -1);
        std::vector<spork_status> statuses(60, SPORK_INTERNAL);
        spork_map_options o = {};
        o.chunk = chunk;
        o.statuses = statuses.data();
        EXPECT_EQ(SPORK_CRASHED, spork_pool_map(pool, pools_item_job, jobs.data(), out.data(), 60, &o));
        EXPECT_STRNE("", spork_error());
        expect_all(
            out, statuses,
            {{0, SPORK_CRASHED}, {7, SPORK_CRASHED}, {8, SPORK_CRASHED}, {30, SPORK_FAILED}, {59, SPORK_CRASHED}});
    }
    EXPECT_EQ(16u, count(pool).crashed);
    until_workers(pool, 2);
    EXPECT_EQ(9, square(pool, 3));
}

TEST_P(PoolMapCrash, IsTheAnswerOnlyIfItIsTheFirst)
{
    Pool pool(2, false);
    std::vector<pools_job> jobs = squares(10);
    std::vector<int64_t> out(10, -1);
    jobs[2].what = POOLS_FAIL;
    jobs[8].what = POOLS_EXIT;
    EXPECT_EQ(SPORK_FAILED, spork_pool_map(pool, pools_item_job, jobs.data(), out.data(), 10, nullptr));
    EXPECT_TRUE(says("item 2 fails"));
    std::swap(jobs[2].what, jobs[8].what);
    EXPECT_EQ(SPORK_CRASHED, spork_pool_map(pool, pools_item_job, jobs.data(), out.data(), 10, nullptr));
    EXPECT_FALSE(says("item 8 fails"));
}

TEST_P(PoolMapCrash, IsRetriedForEachItem)
{
    Board board;
    spork_pool_options o = options_of(2, false, board);
    o.retries = 1;
    Pool pool(o, board);
    for (size_t chunk : {1u, 10u}) {
        std::vector<pools_job> jobs = squares(30);
        jobs[3].what = jobs[4].what = jobs[29].what = POOLS_ONCE;
        jobs[12].what = POOLS_EXIT; // always
        std::vector<int64_t> out(30, -1);
        std::vector<spork_status> statuses(30, SPORK_INTERNAL);
        spork_map_options map = {};
        map.chunk = chunk;
        map.statuses = statuses.data();
        for (int i = 0; i < 30; i++) board.set(POOLS_RUNS + i, 0);
        EXPECT_EQ(SPORK_CRASHED, spork_pool_map(pool, pools_item_job, jobs.data(), out.data(), 30, &map));
        expect_all(out, statuses, {{12, SPORK_CRASHED}});
        for (int i : {3, 4, 29, 12}) EXPECT_EQ(2, board.get(POOLS_RUNS + i)) << i;
    }
    EXPECT_EQ(10u, count(pool).crashed);
    EXPECT_EQ(8u, count(pool).retried);
}

TEST_P(PoolMapCrash, ComesByTheDeadlineOfAnItemToo)
{
    for (int ms = 400;; ms *= 4) { // where that is too little for a square, with more
        Board board;
        spork_pool_options o = options_of(2, false, board);
        o.task_timeout_ms = ms;
        Pool pool(o, board);
        std::vector<pools_job> jobs = squares(30);
        jobs[4].what = POOLS_WAIT;
        jobs[20].what = POOLS_YIELD;
        std::vector<int64_t> out(30, -1);
        std::vector<spork_status> statuses(30, SPORK_INTERNAL);
        spork_map_options map = {};
        map.chunk = 15;
        map.statuses = statuses.data();
        EXPECT_EQ(SPORK_DEADLINE, spork_pool_map(pool, pools_item_job, jobs.data(), out.data(), 30, &map));
        if (std::count(statuses.begin(), statuses.end(), SPORK_DEADLINE) > 2 && ms < kWatchdogMs) continue;
        expect_all(out, statuses, {{4, SPORK_DEADLINE}, {20, SPORK_DEADLINE}});
        const spork_task_options later = within(kWatchdogMs);
        EXPECT_EQ(9, value_of<int>(give(pool, pools_square, spork_pack(3), &later)));
        break;
    }
}

// The worker has come to the end of all items between the owner's decision to end it at one and its last look whether it is still there.
TEST_F(Processes, OfAPoolThatReturnFromTheirLastItemWhenItsTimeIsOverAreLetGo)
{
#ifndef __linux__
    GTEST_SKIP() << "skipped: needs to see that a process is stopped, which /proc tells";
#endif
    const spork_task_options later = within(kWatchdogMs);
    bool stopped = false;
    for (int round = 0; round < 100 && !stopped && !HasFailure(); round++) { // it has 100 ms to stop itself when it is asked
        Board board;
        spork_pool_options o = options_of(1, false, board);
        o.task_timeout_ms = 200;
        Pool pool(o, board);
        EXPECT_EQ(9, value_of<int>(give(pool, pools_square, spork_pack(3), &later)));
        spork__point_arm_hold(SPORK__AT_TASK_DOOMED, 1);
        pools_job job = {POOLS_YIELD_AND_STOP, 7};
        int64_t out = -1;
        std::atomic<int> ended{SPORK_TIMEOUT};
        std::thread map([&] { ended = spork_pool_map(pool, pools_item_job, &job, &out, 1, nullptr); });
        until([] { return spork__point_held(); }, "nobody wants to end the worker");
        stopped = harness_pid_stopped(board.pid(0));
        if (stopped) {
            pools_continue(board.pid(0));
            linger(); // it sees that it is to be ended
        }
        spork__point_release();
        until([&] { return ended != SPORK_TIMEOUT; }, "the map does not end");
        if (ended == SPORK_TIMEOUT) spork_pool_terminate(pool);
        map.join();
        spork__point_arm(SPORK__POINT_NONE, 0);
        EXPECT_EQ(SPORK_DEADLINE, ended);
        if (!stopped) continue;
        EXPECT_EQ(0u, count(pool).crashed);
        EXPECT_EQ(9, value_of<int>(give(pool, pools_square, spork_pack(3), &later)));
    }
    EXPECT_TRUE(stopped) << "it never stopped in time";
}

TEST_F(Processes, OfAPoolThatDieBetweenItemsTakeNoneWithThem)
{
    Pool pool(options_of(1, false));
    pools_job jobs[3] = {{POOLS_SQUARE, 7}, {POOLS_SQUARE, 8}, {POOLS_LAST, 9}};
    int64_t out[3] = {};
    spork_map_options map = {};
    map.chunk = 3;
    EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_job, jobs, out, 3, &map)) << spork_error();
    EXPECT_EQ(49 + 64 + 81, out[0] + out[1] + out[2]);
    until_replaced(pool, 1);
    EXPECT_EQ(0u, count(pool).crashed);
}

TEST_F(Processes, OfAPoolThatAlwaysDieBeforeTheirFirstItemEndTheMap)
{
    spork_pool_options o = options_of(2, false);
    o.initializer = pools_init_dying;
    Pool pool(o);
    int64_t in[10] = {}, out[10] = {};
    spork_status statuses[10] = {};
    spork_map_options map = {};
    map.statuses = statuses;
    EXPECT_EQ(SPORK_CRASHED, spork_pool_map(pool, pools_item_square, in, out, 10, &map));
    EXPECT_TRUE(says("its worker")) << spork_error();
    for (spork_status status : statuses) EXPECT_EQ(SPORK_CRASHED, status);
}

TEST_P(PoolMapCrash, ComesByTheDeadlineOfAllOfItWhereItHasNotEnded)
{
    Board board;
    Pool pool(2, false, board);
    std::vector<pools_job> jobs = squares(30);
    jobs[10].what = jobs[11].what = POOLS_WAIT; // which keep both workers
    std::vector<int64_t> out(30, -1);
    std::vector<spork_status> statuses(30, SPORK_INTERNAL);
    spork_map_options o = {};
    o.chunk = 1;
    o.statuses = statuses.data();
    o.deadline_ms = 1000;
    EXPECT_EQ(SPORK_DEADLINE, spork_pool_map(pool, pools_item_job, jobs.data(), out.data(), 30, &o));
    EXPECT_STRNE("", spork_error());
    for (size_t i = 0; i < 30; i++) {
        bool fine = statuses[i] == SPORK_OK;
        EXPECT_TRUE(fine || statuses[i] == SPORK_DEADLINE) << i << " " << spork_status_name(statuses[i]);
        EXPECT_EQ(fine ? static_cast<int64_t>(i * i) : -1, out[i]) << i;
        if (i == 10 || i == 11 || i == 29) {
            EXPECT_FALSE(fine) << i;
        }
    }
    for (unsigned worker : {0u, 1u}) // nothing of it runs on
        EXPECT_FALSE(board.pid(worker) != 0 && harness_pid_exists(board.pid(worker)));
    board.open(POOLS_GATE);
    jobs = squares(30);
    o.deadline_ms = kWatchdogMs;
    EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_job, jobs.data(), out.data(), 30, &o)) << spork_error();
}

TEST_P(PoolMapCrash, OfAWorkerThatIsKilledBetweenItemsLosesNothingElse)
{
    Board board;
    spork_pool_options o = options_of(2, false, board);
    o.retries = 3;
    Pool pool(o, board);
    EXPECT_EQ(all_places(2), meet(pool, board, 2));
    std::atomic<bool> stop{false};
    Thread killer([&] {
        for (int i = 0; i < 5 && !stop; i++) {
            spork_sleep(20);
            pools_kill(board.pid(static_cast<unsigned>(i % 2)));
        }
    });
    std::vector<pools_job> jobs = squares(2000);
    for (pools_job &job : jobs) job.what = POOLS_SLOW;
    std::vector<int64_t> out(2000, -1);
    EXPECT_EQ(SPORK_OK, spork_pool_map(pool, pools_item_job, jobs.data(), out.data(), jobs.size(), nullptr))
        << spork_error();
    stop = true;
    for (size_t i = 0; i < out.size(); i++) ASSERT_EQ(static_cast<int64_t>(i * i), out[i]);
}

// ---- imap ----

class PoolImap : public Both {};
FOR_BOTH(PoolImap);

TEST_P(PoolImap, GivesResultsInTheOrderOfTheirTasks)
{
    Pool pool(2, threads());
    Numbers source;
    source.end = 300;
    Imap imap(pool, pools_square, &source, 0, true);
    EXPECT_EQ(0, source.drawn); // nothing is asked before anything is taken
    for (int i = 0; i < 300; i++) {
        ASSERT_EQ(SPORK_OK, imap.next()) << spork_error();
        EXPECT_NE(SPORK_TIMEOUT, spork_future_status(imap.result)); // it has ended
        spork_wait_item item = spork_on(imap.result);
        EXPECT_EQ(SPORK_OK, spork_wait(&item, 1, 0)) << spork_error();
        ASSERT_EQ(i * i, value_of<int>(imap.result));
    }
    for (int i = 0; i < 2; i++) EXPECT_EQ(SPORK_CLOSED, imap.next());
    EXPECT_EQ(1, source.asked_after_end);
    EXPECT_EQ(std::set<std::thread::id>{std::this_thread::get_id()}, source.on);
    EXPECT_EQ(300u, count(pool).completed);
}

TEST_P(PoolImap, KeepsTheOrderWhenTheFirstIsTheLastToEnd)
{
    Board board;
    Pool pool(2, threads(), board);
    Numbers source;
    source.end = 4;
    // Tasks wait at the gates 16, 17, 18 and 19.
    source.pack = [](int n) { return spork_pack(static_cast<int>(POOLS_STUBBORN), POOLS_FREE + n); };
    Imap imap(pool, pools_hold, &source, 4, true);
    for (int n = 1; n < 4; n++) board.open(POOLS_FREE + n);
    EXPECT_EQ(SPORK_TIMEOUT, imap.next(20));
    EXPECT_EQ(nullptr, imap.result);
    board.reaches(POOLS_ENDED, 3);
    EXPECT_EQ(SPORK_TIMEOUT, imap.next(20)); // three have ended, but not the first
    board.open(POOLS_FREE);
    for (int n = 0; n < 4; n++) {
        ASSERT_EQ(SPORK_OK, imap.next()) << spork_error();
        EXPECT_EQ(SPORK_OK, spork_future_status(imap.result));
    }
    EXPECT_EQ(SPORK_CLOSED, imap.next());
}

TEST_P(PoolImap, GivesResultsAsTheyEndIfThatIsWanted)
{
    Board board;
    Pool pool(3, threads(), board);
    Numbers source;
    source.end = 3;
    source.pack = [](int n) { return spork_pack(POOLS_FREE + n, n); };
    Imap imap(pool, pools_hold_number, &source, 3, false);
    EXPECT_EQ(SPORK_TIMEOUT, imap.next(20));
    for (int n : {2, 0, 1}) {
        board.open(POOLS_FREE + n);
        ASSERT_EQ(SPORK_OK, imap.next()) << spork_error();
        EXPECT_EQ(n, value_of<int>(imap.result));
    }
    EXPECT_EQ(SPORK_CLOSED, imap.next());
}

#if SIZE_MAX > UINT32_MAX
TEST_P(PoolImap, RefusesAWindowBeyondAllNumbers)
{
    Pool pool(1, threads());
    Numbers source;
    EXPECT_EQ(nullptr, spork_pool_imap(pool, pools_square, Numbers::next, &source, SIZE_MAX, true));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    EXPECT_TRUE(says("a window of"));
}
#endif

TEST_P(PoolImap, LosesAndDoublesNothingInWhateverOrder)
{
    Pool pool(3, threads());
    for (size_t window : {1u, 2u, 50u}) {
        Numbers source;
        source.end = 300;
        Imap imap(pool, pools_square, &source, window, false);
        std::set<int> got;
        while (imap.next() == SPORK_OK) EXPECT_TRUE(got.insert(value_of<int>(imap.result)).second);
        EXPECT_EQ(300u, got.size());
    }
}

TEST_P(PoolImap, DrawsNoMoreThanItsWindowAhead)
{
    Board board;
    Pool pool(2, threads(), board);
    for (size_t window : {0u, 1u, 3u, 8u}) {
        for (bool ordered : {true, false}) {
            SCOPED_TRACE(window);
            Numbers source; // endless
            Imap imap(pool, pools_square, &source, window, ordered);
            const int ahead = window == 0 ? 4 : static_cast<int>(window);
            int most = 0;
            for (int taken = 1; taken <= 200; taken++) {
                ASSERT_EQ(SPORK_OK, imap.next()) << spork_error();
                most = std::max(most, source.drawn - taken);
                ASSERT_LE(source.drawn - taken, ahead);
                if (taken % 50 == 0) { // a slow consumer: nothing is drawn meanwhile
                    int before = source.drawn;
                    linger();
                    ASSERT_EQ(before, source.drawn);
                }
            }
            if (ahead > 1) {
                EXPECT_GE(most, 1) << "one at a time";
            }
        } // and it is freed in the middle
    }
    EXPECT_EQ(9, square(pool, 3));
}

TEST_P(PoolImap, KeepsAllWorkersBusy)
{
    Board board;
    Pool pool(3, threads(), board);
    Numbers source;
    source.end = 3;
    source.pack = [](int) { return spork_pack(3); }; // each waits for the others
    Imap imap(pool, pools_meet, &source, 3, true);
    std::set<unsigned> places;
    for (int i = 0; i < 3; i++) {
        ASSERT_EQ(SPORK_OK, imap.next()) << spork_error();
        places.insert(value_of<unsigned>(imap.result));
    }
    EXPECT_EQ(all_places(3), places);
}

TEST_P(PoolImap, FromAnEndlessSourceNeedsNoMoreMemoryThanFromAShortOne)
{
    Pool pool(2, threads());
    Numbers source;
    Imap imap(pool, pools_square, &source, 0, true);
    const int many = harness_count(30000);
    long before = 0, blocks = 0;
    for (int i = 0; i < many; i++) {
        ASSERT_EQ(SPORK_OK, imap.next()) << spork_error();
        if (i == many / 3) {
            before = harness_rss_kib();
            blocks = spork__allocated();
        }
    }
    EXPECT_LE(spork__allocated(), blocks + 64);
    if (native()) {
        EXPECT_LE(harness_rss_kib(), before + 2048);
    }
}

TEST_P(PoolImap, DeliversWhatCameBeforeItsSourceFailed)
{
    Pool pool(2, threads());
    for (bool ordered : {true, false}) {
        Numbers source;
        source.end = 5;
        source.at_end = SPORK_DENIED;
        Imap imap(pool, pools_square, &source, 8, ordered);
        std::set<int> got;
        for (int i = 0; i < 5; i++) {
            ASSERT_EQ(SPORK_OK, imap.next()) << spork_error();
            got.insert(value_of<int>(imap.result));
        }
        EXPECT_EQ((std::set<int>{0, 1, 4, 9, 16}), got);
        for (int i = 0; i < 2; i++) EXPECT_EQ(SPORK_DENIED, imap.next());
        EXPECT_EQ(1, source.asked_after_end);
        EXPECT_EQ(9, square(pool, 3)); // the pool goes on
    }
}

TEST_P(PoolImap, OfASourceWithoutTasksIsAtItsEndAtOnce)
{
    Pool pool(1, threads());
    Numbers nothing, broken;
    nothing.end = broken.end = 0;
    broken.at_end = SPORK_FAILED;
    Imap imap(pool, pools_square, &nothing, 0, true), other(pool, pools_square, &broken, 0, true);
    EXPECT_EQ(SPORK_CLOSED, imap.next());
    EXPECT_EQ(SPORK_FAILED, other.next());
    EXPECT_EQ(0u, count(pool).submitted);
}

TEST_P(PoolImap, GivesTasksThatFailAsResults)
{
    Pool pool(2, threads());
    Numbers source;
    source.end = 20;
    source.pack = [](int n) { return spork_pack(n % 3 == 0 ? -n - 1 : n); };
    Imap imap(pool, pools_square, &source, 0, true);
    for (int i = 0; i < 20; i++) {
        ASSERT_EQ(SPORK_OK, imap.next()) << spork_error();
        if (i % 3 == 0) {
            EXPECT_EQ(SPORK_FAILED, spork_future_check(imap.result, 0));
            EXPECT_TRUE(says("negative"));
        } else {
            EXPECT_EQ(i * i, value_of<int>(imap.result));
        }
    }
    EXPECT_EQ(SPORK_CLOSED, imap.next());
    imap.free();
    EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << "they were given: " << spork_error();
}

TEST_P(PoolImap, GivesTasksThatCrashAsResults)
{
    if (threads()) GTEST_SKIP() << "skipped: a crash in a thread is one of the whole process";
    Pool pool(2, false);
    Numbers source;
    source.end = 10;
    source.pack = [](int n) { return spork_pack(n % 4 == 0 ? "exit" : "none", n); };
    Imap imap(pool, pools_crash_or_number, &source, 0, true);
    for (int i = 0; i < 10; i++) {
        ASSERT_EQ(SPORK_OK, imap.next()) << spork_error();
        if (i % 4 == 0) {
            EXPECT_EQ(SPORK_CRASHED, spork_future_status(imap.result));
            EXPECT_EQ(i, death_of(imap.result).exitcode);
        } else {
            EXPECT_EQ(i, value_of<int>(imap.result));
        }
    }
    EXPECT_EQ(SPORK_CLOSED, imap.next());
}

TEST_P(PoolImap, FreedInTheMiddleCancelsWhatRuns)
{
    Board board;
    Pool pool(2, threads(), board);
    Numbers source;
    source.pack = [](int) { return spork_pack(static_cast<int>(POOLS_WILLING), static_cast<int>(POOLS_GATE)); };
    Imap imap(pool, pools_hold, &source, 5, true);
    EXPECT_EQ(SPORK_TIMEOUT, imap.next(20));
    board.reaches(POOLS_BEGUN, 2);
    imap.free();
    until([&] { return count(pool).pending == 0; }, "its tasks go on");
    EXPECT_EQ(9, square(pool, 3));
    EXPECT_EQ(2, board.get(POOLS_BEGUN)); // the others never began
    EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << spork_error();
}

TEST_P(PoolImap, IsDoneBesideOthers)
{
    Pool pool(2, threads());
    Numbers one, other;
    one.end = other.end = 100;
    other.pack = [](int n) { return spork_pack(n + 1); };
    Imap ordered(pool, pools_square, &one, 3, true), unordered(pool, pools_square, &other, 3, false);
    std::multiset<int> got, expected;
    for (int i = 0; i < 100; i++) {
        ASSERT_EQ(SPORK_OK, ordered.next()) << spork_error();
        ASSERT_EQ(SPORK_OK, unordered.next()) << spork_error();
        EXPECT_EQ(i * i, value_of<int>(ordered.result));
        got.insert(value_of<int>(unordered.result));
        expected.insert((i + 1) * (i + 1));
    }
    EXPECT_EQ(expected, got);
}

TEST_P(PoolImap, OfAPoolThatIsClosedGivesWhatWasGiven)
{
    Board board;
    Pool pool(1, threads(), board);
    Numbers source;
    Imap imap(pool, pools_square, &source, 4, true);
    ASSERT_EQ(SPORK_OK, imap.next());
    EXPECT_EQ(SPORK_OK, spork_pool_close(pool));
    const int drawn = source.drawn;
    int taken = 1;
    spork_status status;
    while ((status = imap.next()) == SPORK_OK) {
        EXPECT_EQ(taken * taken, value_of<int>(imap.result));
        taken++;
    }
    EXPECT_EQ(SPORK_CLOSED, status);
    EXPECT_EQ(drawn, taken);
    EXPECT_EQ(SPORK_CLOSED, imap.next());
}

TEST_P(PoolImap, OfAPoolThatIsTerminatedEnds)
{
    Board board;
    Pool pool(1, threads(), board);
    Numbers source;
    source.pack = [](int) { return spork_pack(static_cast<int>(POOLS_WILLING), static_cast<int>(POOLS_GATE)); };
    Imap imap(pool, pools_hold, &source, 3, true);
    EXPECT_EQ(SPORK_TIMEOUT, imap.next(20));
    Thread ender([&] {
        board.reaches(POOLS_BEGUN, 1);
        EXPECT_EQ(SPORK_OK, spork_pool_terminate(pool));
    });
    spork_status status = SPORK_OK;
    for (int i = 0; i < 4 && status == SPORK_OK; i++) {
        status = imap.next();
        if (status == SPORK_OK) {
            EXPECT_EQ(SPORK_CLOSED, spork_future_status(imap.result));
        }
    }
    EXPECT_EQ(SPORK_CLOSED, status);
}

TEST_P(PoolImap, NeedsAFunctionAndASource)
{
    Pool pool(1, threads());
    Numbers source;
    EXPECT_EQ(nullptr, spork_pool_imap(pool, nullptr, Numbers::next, &source, 0, true));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    EXPECT_EQ(nullptr, spork_pool_imap(pool, pools_square, nullptr, &source, 0, true));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
}

TEST_P(PoolImap, SaysSoIfATaskOfItsSourceCannotTravel)
{
    Pool pool(1, threads());
    spork_lock *lock = spork_lock_new();
    Numbers source;
    source.end = 5;
    source.pack = [=](int n) { return n == 2 ? spork_pack(lock) : spork_pack(n); };
    {
        Imap imap(pool, pools_square, &source, 1, true);
        for (int i = 0; i < 2; i++) {
            ASSERT_EQ(SPORK_OK, imap.next()) << spork_error();
            EXPECT_EQ(i * i, value_of<int>(imap.result));
        }
        EXPECT_EQ(SPORK_UNSUPPORTED, imap.next());
        EXPECT_STRNE("", spork_error());
    }
    EXPECT_EQ(9, square(pool, 3));
    spork_lock_free(lock);
}

} // namespace
