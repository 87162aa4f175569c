// The ground that everything shared stands on, stormed on its own: whoever dies, at whatever point, the others go on, and
// nothing is left. And the storms themselves are put to the test: each must notice a mistake that is made on purpose.
#include "child.h"
#include "harness/grounds.h"
#include "platform.h"

namespace {

ground_plan plan_for(ground_kind kind)
{
    ground_plan plan = {};
    plan.kind = kind;
    plan.workers = 4;
    plan.patience_ms = kWatchdogMs;
    plan.seed = storm_seed();
    return plan;
}

ground_result expect_calm(const ground_plan &plan)
{
    ground_result r = ground_storm(&plan);
    printf("%d deaths, %ld pieces of work, %ld times told of a dead owner, longest pause %.0f ms\n", r.deaths, r.work,
           r.owner_died, r.longest_pause * 1000);
    EXPECT_FALSE(r.stuck);
    EXPECT_FALSE(r.left_over);
    EXPECT_EQ(0, r.violations) << r.first;
    EXPECT_GE(r.deaths, plan.deaths.least);
    EXPECT_GT(r.work, 0);
    return r;
}

void storm_of_kills(ground_kind kind)
{
    ground_plan plan = plan_for(kind);
    plan.deaths = harness_budget_of(2, 10, 150);
    expect_calm(plan);
}

void storm_at_points(ground_kind kind, spork__point first, spork__point last)
{
    ground_plan plan = plan_for(kind);
    int points = last - first + 1;
    plan.first = first;
    plan.last = last;
    plan.deaths = harness_budget_of(2, points, 16 * points);
    ground_result r = expect_calm(plan);
    for (int p = first; p <= last; p++) printf("at point %d: %d\n", p, r.at[p]);
    if (!harness_full()) return; // too few for the rare ones
    for (int p = first; p <= last; p++) EXPECT_GT(r.at[p], 0) << "nobody died at point " << p;
}

TEST(Ground, ALockOutlivesOwnersAndWaitersThatAreKilled) { storm_of_kills(GROUND_ROBUST); }
TEST(Ground, ALockOutlivesDeathsAtEachOfItsPoints)
{
    storm_at_points(GROUND_ROBUST, SPORK__AT_ROBUST_TAKEN, SPORK__AT_ROBUST_RELEASED);
}
TEST(Ground, ABellWakesTheOthersWhoeverIsKilled) { storm_of_kills(GROUND_BELL); }
TEST(Ground, ABellWakesTheOthersAfterDeathsAtEachOfItsPoints)
{
    storm_at_points(GROUND_BELL, SPORK__AT_BELL_ANNOUNCED, SPORK__AT_BELL_CLAIMED);
}
TEST(Ground, AnArenaGetsBackWhatKilledOwnersHeld) { storm_of_kills(GROUND_ARENA); }
TEST(Ground, AnArenaGetsBackWhatOwnersHeldThatDiedAtEachOfItsPoints)
{
    storm_at_points(GROUND_ARENA, SPORK__AT_ARENA_LOCKED, SPORK__AT_ARENA_FREEING);
}

struct Mistake {
    const char *name;
    ground_kind kind;
    spork__bug bug;
    int workers;
    spork__point first, last;
    bool sleeps = false; // it is about a sleep that is too long
};
void PrintTo(const Mistake &m, std::ostream *out) { *out << m.name; }

const spork__point none = SPORK__POINT_NONE;
const spork__point nobody = SPORK__AT_ARENA_LOCKED; // dies: locks and bells do not come there
const Mistake mistakes[] = {
    {"NoTakeOver", GROUND_ROBUST, SPORK__BUG_ROBUST_NO_TAKE_OVER, 4, SPORK__AT_ROBUST_TAKEN, SPORK__AT_ROBUST_TAKEN},
    {"TakeOverStores", GROUND_ROBUST, SPORK__BUG_ROBUST_TAKE_OVER_STORES, 8, SPORK__AT_ROBUST_TAKEN,
     SPORK__AT_ROBUST_TAKEN},
    {"DeathIsNotTold", GROUND_ROBUST, SPORK__BUG_ROBUST_TELLS_NOBODY, 4, none, none},
    {"TheLivingAreTakenForDead", GROUND_ROBUST, SPORK__BUG_ROBUST_DOUBTS, 4, none, none},
    {"ALockSleepsWithoutBound", GROUND_ROBUST, SPORK__BUG_ROBUST_SLEEPS_ON, 4, SPORK__AT_ROBUST_WOKEN,
     SPORK__AT_ROBUST_RELEASED, true},
    {"ALockIsFreedByAnybody", GROUND_ROBUST, SPORK__BUG_ROBUST_FREES_ANY, 4, none, none},
    {"ASleeperLooksFirst", GROUND_BELL, SPORK__BUG_BELL_LOOKS_FIRST, 2, nobody, nobody, true},
    {"ABellIsSilent", GROUND_BELL, SPORK__BUG_BELL_SILENT, 2, nobody, nobody, true},
    {"ExtentsOverlap", GROUND_ARENA, SPORK__BUG_ARENA_OVERLAPS, 4, none, none},
    {"ExtentsLeak", GROUND_ARENA, SPORK__BUG_ARENA_LEAKS, 4, SPORK__AT_ARENA_TAKEN, SPORK__AT_ARENA_TAKEN},
    {"TheLivingAreRobbed", GROUND_ARENA, SPORK__BUG_ARENA_ROBS, 4, none, none},
};

class GroundWithAMistake : public testing::TestWithParam<Mistake> {};

TEST_P(GroundWithAMistake, IsFoundOut)
{
    if (harness_wine() || harness_instrumented()) GTEST_SKIP() << "how good the storms are is shown once: natively";
    if (GetParam().sleeps) { // where sleepers look every millisecond by themselves, that mistake cannot be made
        uint32_t word = 1;
        double begin = spork_time();
        spork__os_park(&word, 1, SPORK__NO_HANDLE, 200);
        if (spork_time() - begin < 0.1) GTEST_SKIP() << "this system has no sleep that could be too long";
    }
    ground_plan plan = plan_for(GetParam().kind);
    plan.bug = GetParam().bug;
    plan.workers = GetParam().workers;
    plan.first = GetParam().first;
    plan.last = GetParam().last;
    plan.deaths = until_found(20000);
    plan.patience_ms = 1500; // the mistakes that make somebody sleep are found by it
    ground_result r = ground_storm(&plan);
    printf("after %d deaths: %s\n", r.deaths, r.violations > 0 ? r.first : r.stuck ? "stuck" : "left over");
    EXPECT_TRUE(r.stuck || r.left_over || r.violations > 0);
}

INSTANTIATE_TEST_SUITE_P(, GroundWithAMistake, testing::ValuesIn(mistakes),
                         [](const auto &test) { return std::string(test.param.name); });

} // namespace
