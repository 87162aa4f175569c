// How a process waits for another before it sleeps: which steps it takes, and what it learns of them.
#include "backoff.h"

#include <gtest/gtest.h>

#include <spork/base.h>

#include "harness/harness.h"

namespace {

struct Other { // for whom is waited
    int looks = 0;
    uint32_t found = 0;
    int not_before = 0; // at that look
    int slow_ms = 0;
    static uint32_t look(void *user)
    {
        auto *other = static_cast<Other *>(user);
        other->looks++;
        if (other->slow_ms > 0) spork_sleep(other->slow_ms);
        return other->looks >= other->not_before ? other->found : 0;
    }
};

class Backoff : public testing::Test {
  protected:
    void SetUp() override
    {
        if (spork_cpu_count() < 2) GTEST_SKIP() << "with one CPU nobody looks again";
        spork_set_spin(20);
    }
    void TearDown() override { spork_set_spin(-1); }
    bool answered() { return spork__backoff_for_answer(&backoff, Other::look, &other, 1); }
    bool flows(uint32_t batch = 100)
    {
        return spork__backoff_in_flow(&backoff, Other::look, &other, batch);
    }
    void fall_into_debt()
    {
        for (int i = 0; i < 100; i++) ASSERT_FALSE(answered());
        other.looks = 0;
    }
    // Messages that come as fast as can be.
    void flood()
    {
        other.found = 1000;
        for (int i = 0; i < 20; i++) ASSERT_TRUE(flows(100000));
    }

    spork__backoff backoff = {};
    Other other;
};

TEST_F(Backoff, WhatIsThereIsFoundAtTheFirstLook)
{
    other.found = 1;
    EXPECT_TRUE(answered());
    EXPECT_EQ(1, other.looks);
}

TEST_F(Backoff, WhatComesWhileItLooksIsFound)
{
    spork_set_spin(1000);
    other.found = 1;
    other.not_before = 3;
    while (!answered()) // it may lose its CPU for so long
        backoff = {}, other.looks = 0;
    EXPECT_EQ(3, other.looks);
}

TEST_F(Backoff, ItIsBounded)
{
    EXPECT_FALSE(answered());
    EXPECT_GT(other.looks, 0);
    EXPECT_FALSE(flows());
}

TEST_F(Backoff, WhoWaitsInVainAgainAndAgainSleepsAtOnce)
{
    fall_into_debt();
    int waits_with_looks = 0;
    for (int i = 0; i < 320; i++) {
        int before = other.looks;
        EXPECT_FALSE(answered());
        waits_with_looks += other.looks > before;
    }
    EXPECT_EQ(10, waits_with_looks) << "times change, so it is tried now and then";
}

TEST_F(Backoff, ASuccessMakesItWorthTryingAgain)
{
    fall_into_debt();
    other.found = 1;
    while (!answered()) {}
    other.looks = 0;
    EXPECT_TRUE(answered());
}

TEST_F(Backoff, InAFlowTheFirstLookIsLate)
{
    EXPECT_EQ(0u, backoff.lag);
    flood();
    EXPECT_GT(backoff.lag, 1000u) << "who has caught up lets the other get ahead";
}

TEST_F(Backoff, WhereMessagesComeSeldomTheFirstLookIsAtOnce)
{
    flood();
    other.found = 1;
    other.slow_ms = 2;
    for (int i = 0; i < 20; i++) ASSERT_TRUE(flows());
    EXPECT_EQ(0u, backoff.lag);
}

TEST_F(Backoff, TheLagIsNoMoreThanABatchTakes)
{
    flood();
    other.found = 1000000; // of a batch of one
    for (int i = 0; i < 40; i++) ASSERT_TRUE(flows(1));
    EXPECT_LT(backoff.lag, 1000u);
}

TEST_F(Backoff, OfNoMicrosecondsItIsNothing)
{
    spork_set_spin(0);
    other.found = 1;
    EXPECT_FALSE(answered());
    EXPECT_FALSE(flows());
    EXPECT_EQ(0, other.looks);
}

TEST_F(Backoff, OfNoMicrosecondsItIsNothingInAFlowEither)
{
    flood();
    other.looks = 0;
    spork_set_spin(0);
    EXPECT_FALSE(flows());
    EXPECT_EQ(0, other.looks);
}

TEST_F(Backoff, TheLagShrinksWhereNothingComes)
{
    flood();
    other.found = 0;
    for (int i = 0; i < 2000; i++) ASSERT_FALSE(flows());
    EXPECT_LT(backoff.lag, 100u);
}

TEST_F(Backoff, TheEnvironmentSaysHowLong)
{
    harness_setenv("SPORK_SPIN_US", "0");
    spork_set_spin(-1);
    EXPECT_FALSE(answered());
    EXPECT_EQ(0, other.looks);
    harness_setenv("SPORK_SPIN_US", "many"); // told in the log
    spork_set_spin(-1);
    EXPECT_FALSE(answered());
    EXPECT_GT(other.looks, 0);
    harness_setenv("SPORK_SPIN_US", nullptr);
}

} // namespace
