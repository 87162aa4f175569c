// A queue whose producers and consumers are killed: what the others see, and what is left. And whether these storms would notice.
#include "child.h"
#include "harness/queue_storm.h"

namespace {

queue_plan storm_of(int producers, int consumers)
{
    queue_plan plan = {};
    plan.producers = producers;
    plan.consumers = consumers;
    plan.seed = storm_seed();
    return plan;
}

queue_result expect_order(const queue_plan &plan)
{
    queue_result r = queue_storm(&plan);
    printf("%d deaths (%d of consumers), %ld messages put, %ld got, %ld missing, %u told as lost; "
           "a call outlasted its time by %.0f ms; %d stops, %ld cancels, %d exits, %d zombies\n",
           r.deaths, r.consumer_deaths, r.put, r.got, r.missing, r.lost, r.longest * 1000, r.stops,
           r.cancels, r.exits, r.zombies);
    EXPECT_EQ(0, r.violations) << r.first;
    EXPECT_GE(r.deaths + r.exits, plan.deaths.least);
    EXPECT_GT(r.got, 0);
    // A consumer that dies has one message in hands at most; the queue knows of each.
    EXPECT_LE(r.missing, static_cast<long>(r.lost));
    EXPECT_LE(r.lost, static_cast<unsigned>(r.consumer_deaths));
    EXPECT_EQ(0u, r.left);
    EXPECT_EQ(0u, r.extents);
    return r;
}

TEST(QueueStorm, AnybodyKilledAtAnyMoment)
{
    queue_plan plan = storm_of(3, 3);
    plan.deaths = harness_budget_of(3, 5, 200);
    expect_order(plan);
}

queue_result expect_order_beside(unsigned troubles, double seconds)
{
    queue_plan plan = storm_of(3, 3);
    plan.deaths = harness_budget_of(seconds, 5, 200);
    plan.troubles = troubles;
    return expect_order(plan);
}

TEST(QueueStorm, AnybodyEndsByItselfWithAThreadInside)
{
    EXPECT_GT(expect_order_beside(QUEUE_EXITS, 2).exits, 0);
}

#ifndef _WIN32 // nothing there stops a process as a whole, cancels a thread, or leaves a zombie
TEST(QueueStorm, AnybodyStoppedOrKilledAtAnyMoment)
{
    EXPECT_GT(expect_order_beside(QUEUE_STOPS, 3).stops, 0);
}

TEST(QueueStorm, AnybodyCancelledOrKilledAtAnyMoment)
{
    EXPECT_GT(expect_order_beside(QUEUE_CANCELS, 2).cancels, 0);
}

TEST(QueueStorm, TheDeadStayZombies)
{
    queue_result r = expect_order_beside(QUEUE_ZOMBIES, 2);
    if (r.foreign) GTEST_SKIP() << "skipped: they are another's children, who buries them";
    EXPECT_GE(r.zombies, 5);
}

TEST(QueueStorm, EverythingAtOnce)
{
    queue_result r =
        expect_order_beside(QUEUE_STOPS | QUEUE_CANCELS | QUEUE_EXITS | QUEUE_ZOMBIES, 3);
    EXPECT_GT(r.stops, 0);
    EXPECT_GT(r.cancels, 0);
    EXPECT_GT(r.exits, 0);
    EXPECT_TRUE(r.foreign || r.zombies > 0);
}
#endif

TEST(QueueStorm, DeathsAtEachPoint)
{
    queue_plan plan = storm_of(3, 3);
    plan.first = SPORK__AT_RING_PUT_LOCKED;
    plan.last = SPORK__AT_RING_GET_UNLOCKED;
    int points = plan.last - plan.first + 1;
    plan.deaths = harness_budget_of(3, 2, 16 * points);
    queue_result r = expect_order(plan);
    for (int p = plan.first; p <= plan.last; p++) printf("at point %d: %d\n", p, r.at[p]);
    if (!harness_full()) return; // too few for the rare ones
    int met = 0;
    for (int p = plan.first; p <= plan.last; p++) met += r.at[p] > 0;
    EXPECT_GE(met, points - 2) << "deaths at a few points only";
}

// A queue of several segments, which are taken, used again and given back meanwhile.
TEST(QueueStorm, DeathsAtEachPointOfASegment)
{
    queue_plan plan = storm_of(3, 3);
    plan.capacity = 6 << 20;
    plan.first = SPORK__AT_SEGMENT_ENTERED;
    plan.last = SPORK__AT_SEGMENT_BACKED;
    plan.deaths = harness_budget_of(3, 2, 200);
    queue_result r = expect_order(plan);
    for (int p = plan.first; p <= plan.last; p++) printf("at point %d: %d\n", p, r.at[p]);
}

class QueueWithAMistake : public testing::TestWithParam<spork__bug> {};

TEST_P(QueueWithAMistake, IsFoundOut)
{
    if (harness_wine() || harness_instrumented()) GTEST_SKIP() << "how good the storms are is shown once: natively";
    queue_plan plan = storm_of(3, 3);
    plan.bug = GetParam();
    plan.deaths = until_found(3000);
    if (plan.bug == SPORK__BUG_RING_FORGETS_EXTENTS) {
        plan.first = SPORK__AT_RING_PUT_HANDED; // the point that leaves one behind
        plan.last = SPORK__AT_RING_PUT_HANDED;
        plan.deaths = harness_budget_of(kWatchdogMs / 1000.0, 2, 2); // then there is no room for a third
    }
    if (plan.bug == SPORK__BUG_SEGMENT_SHARED) plan.capacity = 6 << 20;
    queue_result r = queue_storm(&plan);
    printf("after %d deaths: %s, %u extents left\n", r.deaths, r.first, r.extents);
    EXPECT_TRUE(r.violations > 0 || r.missing > static_cast<long>(r.lost) || r.left > 0 || r.extents > 0);
}

INSTANTIATE_TEST_SUITE_P(, QueueWithAMistake,
                         testing::Values(SPORK__BUG_RING_COMMITS_FIRST,
                                         SPORK__BUG_RING_FORGETS_EXTENTS,
                                         SPORK__BUG_RING_READS_UNLOCKED,
                                         SPORK__BUG_RING_TURN_UNTAKEN, SPORK__BUG_SEGMENT_SHARED));

} // namespace
