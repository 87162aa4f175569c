// The long storms, each on one concept, with sizes that its seed draws: scripts/storm.sh runs them for minutes or hours and adds up what they
// tell (docs/storms.md); here is a short run of each. SPORK_TEST_SEED repeats one. Runs once under each start method.
#include <algorithm>
#include <cstring>
#include <string>

#include "child.h"
#include "harness/connection_storm.h"
#include "harness/grounds.h"
#include "harness/pool_storm.h"
#include "harness/pools.h"
#include "harness/process_storm.h"
#include "harness/queue_storm.h"
#include "harness/shm_storm.h"
#include "harness/sync_storm.h"
#include "harness/tally.h"

namespace {

class Storms : public testing::Test {
  protected:
    void SetUp() override
    {
        spork_set_log(SPORK_LOG_ERROR, nullptr, nullptr); // a fork beside threads is warned of
        seed_ = storm_seed();
        random_.seed(seed_);
        Child warm_up(target_return, spork_pack(0)); // lets Spork open what it keeps
        EXPECT_EQ(0, warm_up.run());
        spork_pool *pool = spork_pool_new(1);
        EXPECT_EQ(SPORK_OK, spork_pool_apply(pool, pools_nothing, SPORK_NO_ARGS, nullptr, kWatchdogMs))
            << spork_error();
        EXPECT_EQ(SPORK_OK, spork_pool_shutdown(pool, kWatchdogMs)) << spork_error();
        spork_pool_free(pool);
        books_ = tally_open_books();
    }
    void TearDown() override { spork_set_log(static_cast<spork_log_level>(0), nullptr, nullptr); }

    // A number from the seed: how large the storm is to be.
    int draw(int from, int to) { return from + static_cast<int>(random_() % static_cast<unsigned>(to - from + 1)); }
    unsigned draw_seed() { return static_cast<unsigned>(random_()); }
    // scripts/storm.sh asks for more.
    static harness_budget kills()
    {
        const char *wish = getenv("SPORK_STORM_SCALE");
        double scale = wish != nullptr ? strtod(wish, nullptr) : 0;
        return scale > 0 ? harness_budget_of(60, 1, std::max(1, static_cast<int>(60 * scale)))
                         : harness_budget_of(2, 4, 60);
    }

    // Into the books, and nothing may be wrong.
    void report(const char *primitive, tally &t, const std::string &plan)
    {
        Child last(target_return, spork_pack(0)); // the fork server that was killed last has a successor
        EXPECT_EQ(0, last.run());
        tally_close_books(&books_, &t);
        t.primitive = primitive;
        t.seed = seed_;
        snprintf(t.plan, sizeof t.plan, "%s", plan.c_str());
        tally_report(&t);
        EXPECT_EQ(0, tally_total(&t)) << t.first;
        EXPECT_GT(t.kills, 0);
        EXPECT_EQ(t.kills, t.starting + t.server + phases(t));
    }
    template <class Result> static tally of(const Result &r)
    {
        tally t = {};
        for (int f = 0; f < TALLY_FAULTS; f++) t.faults[f] = r.faults[f];
        snprintf(t.first, sizeof t.first, "%.190s", r.first);
        return t;
    }
    static void count_deaths(tally &t, const int *at)
    {
        for (int p = 0; p < SPORK__POINTS; p++) t.kills += t.at[p] = at[p];
    }
    void ground(const char *primitive, ground_kind kind, spork__point first, spork__point last)
    {
        ground_plan plan = {};
        plan.kind = kind;
        plan.workers = draw(2, 8);
        plan.deaths = kills();
        plan.patience_ms = kWatchdogMs;
        plan.seed = draw_seed();
        bool points = draw(0, 1) != 0;
        if (points) plan.first = first, plan.last = last;
        ground_result r = ground_storm(&plan);
        tally t = of(r);
        count_deaths(t, r.at);
        t.uses = r.work;
        report(primitive, t, std::to_string(plan.workers) + " workers" + (points ? ", at points" : ""));
    }
    void sync(const char *primitive, sync_role role)
    {
        sync_plan plan = {};
        plan.deaths = kills();
        plan.role = role;
        plan.count = draw(2, SYNC_MOST);
        plan.patience_ms = kWatchdogMs;
        plan.seed = draw_seed();
        bool points = draw(0, 1) != 0;
        if (points) plan.first = SPORK__AT_ROBUST_TAKEN, plan.last = SPORK__AT_BARRIER_ACTING;
        sync_result r = sync_storm(&plan);
        tally t = of(r);
        count_deaths(t, r.at);
        t.uses = r.locked + r.permits + r.items + r.met + r.woken;
        if (r.free_permits != SYNC_PERMITS) t.faults[TALLY_LEAKED]++;
        report(primitive, t, std::to_string(plan.count) + " users" + (points ? ", at points" : ""));
    }

  private:
    static long phases(const tally &t)
    {
        long all = 0;
        for (long at : t.at) all += at;
        return all;
    }
    unsigned seed_ = 0;
    std::mt19937 random_;
    tally_books books_ = {};
};

TEST_F(Storms, Process)
{
    process_plan plan = {};
    plan.deaths = kills();
    plan.threads = draw(1, PROCESS_THREADS);
    plan.hunted = process_can_hunt() && draw(0, 2) != 0;
    plan.seed = draw_seed();
    process_result r = process_storm(&plan);
    tally t = of(r);
    t.kills = r.during + r.after + r.server;
    t.starting = r.during;
    t.at[0] = r.after;
    t.server = r.server;
    t.uses = r.starts;
    report("process", t, std::to_string(plan.threads) + " threads" + (plan.hunted ? ", hunted" : ""));
}

TEST_F(Storms, Connection)
{
    connection_plan plan = {};
    plan.deaths = kills();
    plan.pairs = draw(1, CONNECTION_PAIRS);
    plan.echo = draw(0, 1) != 0;
    plan.largest = 1 << draw(8, 19);
    plan.seed = draw_seed();
    connection_result r = connection_storm(&plan);
    tally t = of(r);
    t.kills = t.at[0] = r.deaths;
    t.messages = r.sent;
    t.lost = r.lost;
    report("connection", t,
           std::to_string(plan.pairs) + " pairs, up to " + std::to_string(plan.largest) + " bytes" +
               (plan.echo ? ", with answers" : ""));
}

std::string words_of(unsigned troubles)
{
    std::string words;
    if (troubles & QUEUE_STOPS) words += ", stopped";
    if (troubles & QUEUE_CANCELS) words += ", cancelled";
    if (troubles & QUEUE_EXITS) words += ", ending";
    if (troubles & QUEUE_ZOMBIES) words += ", zombies";
    return words;
}

TEST_F(Storms, Queue)
{
    queue_plan plan = {};
    plan.producers = draw(1, 5);
    plan.consumers = draw(1, 5);
    plan.most = draw(0, 1) != 0 ? static_cast<unsigned>(draw(1, 64)) : 0;
    plan.deaths = kills();
    plan.seed = draw_seed();
    bool points = draw(0, 1) != 0;
    if (points) plan.first = SPORK__AT_RING_PUT_LOCKED, plan.last = SPORK__AT_RING_GET_UNLOCKED;
    plan.troubles = static_cast<unsigned>(draw(0, 15)) & queue_troubles_here();
    if (points) plan.troubles &= ~static_cast<unsigned>(QUEUE_EXITS); // few would come to theirs
    queue_result r = queue_storm(&plan);
    tally t = of(r);
    count_deaths(t, r.at);
    t.messages = r.put;
    t.lost = std::max(0L, r.missing);
    t.faults[TALLY_LEAKED] += static_cast<long>(r.left) + static_cast<long>(r.extents);
    // A consumer that dies has one message in hands at most; the queue knows of each.
    if (r.missing > static_cast<long>(r.lost) || r.lost > static_cast<unsigned>(r.consumer_deaths)) {
        t.faults[TALLY_WRONG]++;
        snprintf(t.first, sizeof t.first, "%ld missing, %u told, %d consumers died", r.missing, r.lost,
                 r.consumer_deaths);
    }
    report("queue", t,
           std::to_string(plan.producers) + " producers, " + std::to_string(plan.consumers) +
               " consumers, at most " + std::to_string(plan.most) + (points ? ", at points" : "") +
               words_of(plan.troubles));
}

TEST_F(Storms, Lock) { sync("lock", SYNC_LOCK); }
TEST_F(Storms, Semaphore) { sync("semaphore", SYNC_PERMIT); }
TEST_F(Storms, Event) { sync("event", SYNC_EVENT); }
TEST_F(Storms, Condition) { sync("condition", SYNC_CONSUMER); }
TEST_F(Storms, Barrier) { sync("barrier", SYNC_PARTY); }
TEST_F(Storms, LockWord) { ground("lock word", GROUND_ROBUST, SPORK__AT_ROBUST_TAKEN, SPORK__AT_ROBUST_RELEASED); }
TEST_F(Storms, Bell) { ground("bell", GROUND_BELL, SPORK__AT_BELL_ANNOUNCED, SPORK__AT_BELL_CLAIMED); }
TEST_F(Storms, Arena) { ground("arena", GROUND_ARENA, SPORK__AT_ARENA_LOCKED, SPORK__AT_ARENA_FREEING); }

TEST_F(Storms, NamedMemory)
{
    shm_plan plan = {};
    plan.deaths = kills();
    plan.count = draw(1, SHM_PLACES);
    plan.largest = 1 << draw(4, 18);
    plan.seed = draw_seed();
    shm_result r = shm_storm(&plan);
    tally t = of(r);
    t.kills = t.at[0] = r.deaths;
    t.uses = r.made + r.opened;
    report("named memory", t,
           std::to_string(plan.count) + " processes, up to " + std::to_string(plan.largest) + " bytes");
}

TEST_F(Storms, Pool)
{
    pool_plan plan = {};
    plan.kills = kills();
    plan.workers = static_cast<unsigned>(draw(1, STORM_MOST));
    plan.retries = static_cast<unsigned>(draw(0, 3));
    plan.per_child = draw(0, 3) == 0 ? static_cast<unsigned>(draw(1, 20)) : 0;
    plan.pace_ms = harness_wine() ? 100 : draw(2, 20);
    plan.points = draw(0, 1) != 0;
    if (plan.points) plan.kills.least = std::max(plan.kills.least, 20); // not every worker comes to its point
    plan.kills.most = std::max(plan.kills.most, plan.kills.least);
    if (!plan.points && draw(0, 3) == 0) plan.timeout_ms = 300;
    plan.seed = draw_seed();
    pool_result r = pool_storm(&plan);
    tally t = of(r);
    if (r.together != plan.workers) t.faults[TALLY_HUNG]++;
    if (plan.points)
        count_deaths(t, r.died_at);
    else
        t.kills = t.at[0] = r.kills;
    t.tasks = r.right + r.crashed + r.late;
    t.lost = r.crashed + r.late;
    report("pool", t,
           std::to_string(plan.workers) + " workers, " + std::to_string(plan.retries) + " retries, " +
               std::to_string(plan.per_child) + " tasks each, every " + std::to_string(plan.pace_ms) + " ms" +
               (plan.timeout_ms > 0 ? ", stopped" : "") + (plan.points ? ", at points" : ""));
}

TEST_F(Storms, PoolEnd)
{
    tally t = {};
    int pools = 0;
    while (t.kills == 0 && tally_total(&t) == 0) { // a single pool may end before anybody was to die
        pool_result r = pool_storm_of_ends(kills(), draw_seed());
        t = of(r);
        t.kills = t.at[0] = r.kills;
        t.tasks = r.right + r.crashed;
        t.lost = r.crashed;
        pools += r.rounds;
    }
    report("pool end", t, std::to_string(pools) + " pools");
}

} // namespace
