// Storms on locks, permits, conditions and barriers: whoever dies, at whatever moment, the others get on; and planted mistakes are
// found. And what these cost while nobody waits: no system call.
#include <gtest/gtest.h>

#include <string>

#include "child.h"
#include "harness/quiet.h"
#include "harness/sync_storm.h"

namespace {

sync_result run_storm(harness_budget deaths, spork__point first, spork__point last, spork__bug bug, int patience_ms)
{
    sync_plan plan = {};
    plan.deaths = deaths;
    plan.first = first;
    plan.last = last;
    plan.bug = bug;
    plan.patience_ms = patience_ms;
    plan.seed = storm_seed();
    sync_result result = sync_storm(&plan);
    printf("deaths %d, locked %ld (%ld recovered), permits %ld, items %ld, met %ld (%ld broken), violations %ld %s\n",
           result.deaths, result.locked, result.recovered, result.permits, result.items, result.met, result.broken,
           result.violations, result.first);
    return result;
}

void expect_survival(const sync_result &result, int least)
{
    EXPECT_EQ(0, result.violations) << result.first;
    EXPECT_GE(result.deaths, least);
    EXPECT_EQ(static_cast<unsigned>(SYNC_PERMITS), result.free_permits);
    EXPECT_GT(result.locked, 0);
    EXPECT_GT(result.permits, 0);
    EXPECT_GT(result.items, 0);
}

TEST(SyncStorm, WhoIsKilledAtAnyMomentHurtsNobodyElse)
{
    harness_budget deaths = harness_budget_of(3, 10, 500);
    expect_survival(run_storm(deaths, SPORK__POINT_NONE, SPORK__POINT_NONE, SPORK__BUG_NONE, kWatchdogMs),
                    deaths.least);
}

TEST(SyncStorm, WhoDiesAtAnyPointOfTheCodeHurtsNobodyElse)
{
    if (harness_wine()) GTEST_SKIP() << "skipped: too slow under wine; Windows has the same code above the platform";
    harness_budget deaths = harness_budget_of(3, 10, 200);
    sync_result result =
        run_storm(deaths, SPORK__AT_MUTEX_TORN, SPORK__AT_BARRIER_ACTING, SPORK__BUG_NONE, kWatchdogMs);
    expect_survival(result, deaths.least);
    if (!harness_full()) return; // too few to come to most points
    int points = 0;
    for (int point = SPORK__AT_MUTEX_TORN; point <= SPORK__AT_BARRIER_ACTING; point++) points += result.at[point] > 0;
    EXPECT_GE(points, 6) << "deaths at a few points only";
}

TEST(SyncStorm, EightWaitersGetOnWhenFiveHundredOwnersAreKilled)
{
    long died = 0, repaired = 0;
    EXPECT_TRUE(sync_owners_die(harness_budget_of(2, 5, 500), 8, &died, &repaired)) << spork_error();
    EXPECT_EQ(died, repaired);
}

// A storm of which each such mistake must be noticed: deaths at the points where it matters.
struct Mistake {
    const char *name;
    spork__bug bug;
    spork__point first, last;
};
class SyncStormFindsThat : public testing::TestWithParam<Mistake> {};

TEST_P(SyncStormFindsThat, It)
{
    if (harness_wine()) GTEST_SKIP() << "skipped: what finds mistakes natively need not be shown again under wine";
    if (harness_instrumented())
        GTEST_SKIP() << "skipped: sanitizers slow the storm down, and a planted mistake is no report";
    // Until it is found out.
    sync_result result =
        run_storm(until_found(2000), GetParam().first, GetParam().last, GetParam().bug, 2000);
    EXPECT_TRUE(result.violations > 0 || result.free_permits != SYNC_PERMITS);
}

INSTANTIATE_TEST_SUITE_P(SyncStorm, SyncStormFindsThat,
                         testing::Values(Mistake{"TheDeathIsToldToNobody", SPORK__BUG_MUTEX_WHOLE, SPORK__AT_MUTEX_TORN,
                                                 SPORK__AT_MUTEX_WHOLE},
                                         Mistake{"PermitsOfTheDeadAreKept", SPORK__BUG_SEMAPHORE_KEEPS,
                                                 SPORK__AT_SEMAPHORE_NOTED, SPORK__AT_SEMAPHORE_FREED},
                                         Mistake{"PermitsAreNotCountedAnew", SPORK__BUG_SEMAPHORE_NO_RECOUNT,
                                                 SPORK__AT_SEMAPHORE_RETURNED, SPORK__AT_SEMAPHORE_RETURNED},
                                         Mistake{"NotificationsDieWithTheNotified", SPORK__BUG_CONDITION_LOSES,
                                                 SPORK__AT_CONDITION_ENTERED, SPORK__AT_CONDITION_PASSED}),
                         [](const auto &one) { return std::string(one.param.name); });

// What a barrier of two says to one, when the other was killed there: before it came, or after.
spork_status meet_the_dead(bool after, spork__bug bug)
{
    spork_barrier *barrier = spork_barrier_new(2);
    Child other(target_meet, spork_pack(barrier, after));
    EXPECT_EQ(SPORK_OK, other.start()) << spork_error();
    EXPECT_TRUE(harness_until([](void *b) { return sync_is_expected(static_cast<spork_barrier *>(b)); }, barrier));
    if (after) {
        EXPECT_TRUE(harness_until([](void *b) { return spork_barrier_waiting(static_cast<spork_barrier *>(b)) == 1; },
                                  barrier));
    }
    spork_process_kill(other.get());
    EXPECT_EQ(-9, other.join());
    spork__plant(bug);
    spork_status status = spork_barrier_wait(barrier, nullptr, bug == SPORK__BUG_NONE ? kWatchdogMs : 1000);
    spork__plant(SPORK__BUG_NONE);
    spork_barrier_free(barrier);
    return status;
}

TEST(SyncStorm, FindsABarrierWhereNobodyLooksAfterTheExpected)
{
    EXPECT_EQ(SPORK_TIMEOUT, meet_the_dead(false, SPORK__BUG_BARRIER_WAITS_ON));
    EXPECT_EQ(SPORK_BROKEN, meet_the_dead(false, SPORK__BUG_NONE));
}

TEST(SyncStorm, FindsABarrierWhereTheDeadCountAsArrived)
{
    EXPECT_EQ(SPORK_OK, meet_the_dead(true, SPORK__BUG_BARRIER_COUNTS_DEAD));
    EXPECT_EQ(SPORK_BROKEN, meet_the_dead(true, SPORK__BUG_NONE));
}

TEST(SyncQuiet, NoUncontendedCallIsASystemCall)
{
    if (!harness_can_forbid_calls() || harness_instrumented())
        GTEST_SKIP() << "skipped: only Linux can forbid a process all system calls, and sanitizers make their own";
    EXPECT_EQ(-9, harness_quiet_not()) << "the proof proves nothing";
    EXPECT_EQ(0, harness_quiet_sync());
}

} // namespace
