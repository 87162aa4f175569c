// Storms on pools: whichever worker dies, at whatever moment and in whatever way, each task ends once, right or named, and the pool is as
// large as before. Seeds are printed; SPORK_TEST_SEED repeats one. Runs once under each start method.
#include <gtest/gtest.h>

#include "books.h"
#include "child.h"
#include "harness/pool_storm.h"
#include "harness/pools.h"

namespace {

class PoolStorm : public Books {
  protected:
    void SetUp() override
    {
        spork_pool *pool = spork_pool_new(1); // lets Spork open what it keeps
        EXPECT_EQ(SPORK_OK, spork_pool_apply(pool, pools_nothing, SPORK_NO_ARGS, nullptr, kWatchdogMs))
            << spork_error();
        EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << spork_error();
        spork_pool_free(pool);
        open_books();
    }
    static pool_plan plan_of(int kills)
    {
        pool_plan plan = {};
        plan.kills = harness_budget_of(3, 5, kills);
        plan.seed = storm_seed();
        return plan;
    }
    static pool_result run(const pool_plan &plan)
    {
        double begin = spork_time();
        pool_result result = pool_storm(&plan);
        const spork_pool_counters &c = result.counters;
        printf("%d kills in %d rounds, %.1f s: %ld right, %ld crashed, %ld late; %d attempts crashed, %d retried, %d "
               "workers replaced\n",
               result.kills, result.rounds, spork_time() - begin, result.right, result.crashed, result.late,
               static_cast<int>(c.crashed), static_cast<int>(c.retried), static_cast<int>(c.replaced));
        EXPECT_EQ(0, result.violations) << result.first;
        EXPECT_GE(result.kills, plan.kills.least);
        EXPECT_EQ(static_cast<unsigned>(STORM_WORKERS), result.together) << "not all workers are back";
        EXPECT_GT(result.right, 0);
        return result;
    }
};

TEST_F(PoolStorm, EachTaskEndsOnceRightOrNamed)
{
    pool_result result = run(plan_of(200));
    EXPECT_EQ(0u, result.counters.retried);
    // Whatever crashed is one's task or item, and no more than the killed had in hand.
    EXPECT_EQ(static_cast<uint64_t>(result.crashed), result.counters.crashed);
    EXPECT_LE(result.crashed, result.kills);
}

TEST_F(PoolStorm, DeathsAtEachPoint)
{
    pool_plan plan = plan_of(100);
    plan.points = true;
    plan.retries = 2;
    pool_result result = run(plan);
    if (!harness_full()) return; // too few for each
    for (int p = 0; p < SPORK__POINTS; p++)
        if (result.at[p] > 0) printf("at point %d: %d\n", p, result.at[p]);
    EXPECT_GT(result.counters.replaced, static_cast<uint64_t>(result.kills) / 4); // who is struck twice dies once
}

TEST_F(PoolStorm, EachTaskIsRetriedAsOftenAsItMayBe)
{
    pool_plan plan = plan_of(100);
    plan.retries = 3;
    pool_result result = run(plan);
    EXPECT_LE(result.crashed * 4, result.kills);
    EXPECT_EQ(result.counters.crashed, result.counters.retried + static_cast<uint64_t>(result.crashed));
}

TEST_F(PoolStorm, WorkersThatAreReplacedAnywayLoseNothing)
{
    pool_plan plan = plan_of(50);
    plan.retries = 2;
    plan.per_child = 5;
    pool_result result = run(plan);
    EXPECT_GT(result.counters.replaced, result.counters.crashed);
}

TEST_F(PoolStorm, StoppedWorkersAreKilledAtTheDeadline)
{
    pool_plan plan = plan_of(50);
    plan.retries = 1;
    plan.timeout_ms = 300;
    run(plan);
}

TEST_F(PoolStorm, PoolsEndAtAnyMomentHoweverTheirWorkersDie)
{
    pool_result result = pool_storm_of_ends(harness_budget_of(3, 3, 60), storm_seed());
    printf("%d pools: %ld right, %ld crashed\n", result.rounds, result.right, result.crashed);
    EXPECT_EQ(0, result.violations) << result.first;
    EXPECT_EQ(0, harness_zombies());
}

} // namespace
