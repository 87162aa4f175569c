// The tree: who takes part, and who is dead. Participants are processes of harness/trees.c.
#include <gtest/gtest.h>
#include <spork/spork.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "budget.h"
#include "harness/trees.h"
#include "tree.h"

namespace {

// A child that has joined, and what it is held by.
class Member {
  public:
    explicit Member(spork_target target, spork_start_method method = SPORK_DEFAULT)
    {
        harness_end *reader = nullptr, *writer = nullptr, *barrier = nullptr;
        EXPECT_TRUE(harness_pipe(&reader, &writer) && harness_pipe(&barrier, &held));
        spork_process_options options{};
        options.target = target;
        options.args = spork_pack(harness_give(writer), harness_give(barrier));
        options.method = method;
        process = spork_process_new_with(&options);
        EXPECT_EQ(SPORK_OK, spork_process_start(process)) << spork_error();
        harness_end_free(writer);
        harness_end_free(barrier);
        EXPECT_EQ(static_cast<long>(sizeof id), harness_read(reader, &id, sizeof id));
        harness_end_free(reader);
    }
    ~Member()
    {
        release();
        spork_process_free(process);
    }
    Member(const Member &) = delete;
    Member &operator=(const Member &) = delete;

    void release() // it ends by itself
    {
        harness_end_free(held);
        held = nullptr;
        EXPECT_EQ(SPORK_OK, spork_process_join(process, kWatchdogMs));
    }
    int pid() const { return spork_process_pid(process); }

    uint32_t id = 0;
    spork_process *process = nullptr;

  private:
    harness_end *held = nullptr;
};

std::vector<spork_start_method> methods()
{
    std::vector<spork_start_method> all;
    for (spork_start_method method : {SPORK_FORK, SPORK_SPAWN, SPORK_FORKSERVER})
        if (spork_set_start_method(method) == SPORK_OK) all.push_back(method);
    spork_set_start_method(SPORK_DEFAULT);
    return all;
}

bool has_fork() { return methods().size() > 1; }

// A program of its own, whose table may be spoilt.
std::vector<std::string> lines_of(const char *scenario)
{
    std::vector<std::string> lines;
    harness_program *program = harness_run(scenario, "");
    for (const char *line; (line = harness_line(program)) != nullptr;) lines.push_back(line);
    EXPECT_EQ(0, harness_wait(program)) << "the table's layout is not what harness/trees.c thinks";
    harness_free(program);
    return lines;
}

TEST(Tree, OneselfHasAnIdAndIsAlive)
{
    uint32_t id = spork__tree_self();
    ASSERT_NE(0u, id) << spork_error();
    EXPECT_TRUE(spork__tree_alive(id));
    EXPECT_EQ(spork_getpid(), spork__tree_pid(id));
}

TEST(Tree, TheIdStaysWhileTheProcessTakesPart)
{
    uint32_t id = spork__tree_self();
    for (int i = 0; i < 100; i++) EXPECT_EQ(id, spork__tree_self());
}

TEST(Tree, AllThreadsOfAProcessAreOneParticipant)
{
    for ([[maybe_unused]] int round : repeat(200)) {
        uint32_t ids[8] = {0};
        spork__tree_leave(); // so that all meet a process without an id
        std::vector<std::thread> threads;
        for (uint32_t &id : ids) threads.emplace_back([&id] { id = spork__tree_self(); });
        for (std::thread &thread : threads) thread.join();
        for (uint32_t id : ids) ASSERT_EQ(spork__tree_self(), id);
        ASSERT_NE(0u, ids[0]);
    }
}

TEST(Tree, WhoLeavesIsDeadAndComesBackAsAnother)
{
    uint32_t before = spork__tree_self();
    spork__tree_leave();
    EXPECT_FALSE(spork__tree_alive(before));
    EXPECT_EQ(0, spork__tree_pid(before));
    spork__tree_leave(); // twice does nothing
    uint32_t after = spork__tree_self();
    EXPECT_NE(before, after);
    EXPECT_TRUE(spork__tree_alive(after));
    EXPECT_FALSE(spork__tree_alive(before));
}

TEST(Tree, NobodyIsZero)
{
    spork__tree_self();
    EXPECT_FALSE(spork__tree_alive(0));
    EXPECT_EQ(0, spork__tree_pid(0));
}

TEST(Tree, IdsThatNobodyWasGivenAreDead)
{
    uint32_t self = spork__tree_self();
    std::mt19937 random(20240607);
    for (int i = 0; i < 20000; i++) {
        uint32_t id = static_cast<uint32_t>(random());
        if (id == self) continue;
        ASSERT_FALSE(spork__tree_alive(id)) << id;
        ASSERT_EQ(0, spork__tree_pid(id)) << id;
    }
    for (int bit = 0; bit < 32; bit++)
        EXPECT_FALSE(spork__tree_alive(self ^ (1u << bit))) << "a damaged word: bit " << bit;
}

TEST(Tree, AChildIsAnotherParticipantUnderEveryMethod)
{
    std::set<uint32_t> ids = {spork__tree_self()};
    for (spork_start_method method : methods()) {
        Member first(trees_join_and_hold, method), second(trees_join_and_hold, method);
        EXPECT_TRUE(ids.insert(first.id).second);
        EXPECT_TRUE(ids.insert(second.id).second);
        for (Member *m : {&first, &second}) {
            EXPECT_NE(0u, m->id);
            EXPECT_TRUE(spork__tree_alive(m->id));
            EXPECT_EQ(m->pid(), spork__tree_pid(m->id));
        }
    }
}

TEST(Tree, AChildThatEndedIsDead)
{
    for (spork_start_method method : methods()) {
        Member member(trees_join_and_hold, method);
        member.release();
        EXPECT_FALSE(spork__tree_alive(member.id));
    }
}

TEST(Tree, AChildThatLeftIsDeadAlthoughItRuns)
{
    Member member(trees_leave_and_hold);
    EXPECT_NE(0u, member.id);
    EXPECT_TRUE(spork_process_is_alive(member.process));
    EXPECT_FALSE(spork__tree_alive(member.id));
}

TEST(Tree, AKilledChildIsDead)
{
    for (spork_start_method method : methods()) {
        Member member(trees_join_and_hold, method);
        EXPECT_TRUE(spork__tree_alive(member.id));
        EXPECT_EQ(SPORK_OK, spork_process_kill(member.process));
        EXPECT_EQ(SPORK_OK, spork_process_join(member.process, kWatchdogMs));
        EXPECT_FALSE(spork__tree_alive(member.id));
    }
}

TEST(Tree, AForkThatSporkKnowsNothingOfIsAParticipantOfItsOwn)
{
    if (!has_fork()) GTEST_SKIP() << "this system has no fork, which this is about";
    uint32_t self = spork__tree_self(), id = 0;
    harness_end *reader = nullptr, *writer = nullptr;
    ASSERT_TRUE(harness_pipe(&reader, &writer));
    int pid = trees_fork_and_hold(writer);
    ASSERT_EQ(static_cast<long>(sizeof id), harness_read(reader, &id, sizeof id));
    EXPECT_NE(0u, id);
    EXPECT_NE(self, id);
    EXPECT_TRUE(spork__tree_alive(id));
    EXPECT_EQ(pid, spork__tree_pid(id));
    EXPECT_TRUE(spork__tree_alive(self));
    EXPECT_EQ(self, spork__tree_self());

    EXPECT_TRUE(trees_kill_unreaped(pid));
    EXPECT_FALSE(spork__tree_alive(id)) << "a dead process whose number is not free yet";
    EXPECT_TRUE(trees_reap(pid));
    EXPECT_FALSE(spork__tree_alive(id));
    harness_end_free(reader);
    harness_end_free(writer);
}

TEST(Tree, ADeadOnesSlotIsTakenOverByTheNextGeneration)
{
    uint32_t dead = 0, taken = 0;
    {
        Member member(trees_join_and_hold);
        dead = member.id;
        spork_process_kill(member.process);
        spork_process_join(member.process, kWatchdogMs);
    }
    for (int i = 0; i < 3 * SPORK__TREE_SLOTS && taken == 0; i++) { // an id comes back as late as possible
        spork__tree_leave();
        uint32_t id = spork__tree_self();
        ASSERT_NE(0u, id) << spork_error();
        ASSERT_NE(dead, id);
        if (trees_slot(id) == trees_slot(dead)) taken = id;
    }
    ASSERT_NE(0u, taken);
    EXPECT_EQ(trees_generation(dead) + 1, trees_generation(taken));
    EXPECT_TRUE(spork__tree_alive(taken));
    EXPECT_FALSE(spork__tree_alive(dead));
    EXPECT_EQ(0, spork__tree_pid(dead));
}

TEST(Tree, ALivingOnesSlotIsNeverTaken)
{
    Member member(trees_join_and_hold);
    for (int i = 0; i < 2 * SPORK__TREE_SLOTS; i++) {
        spork__tree_leave();
        ASSERT_NE(trees_slot(member.id), trees_slot(spork__tree_self()));
    }
    EXPECT_TRUE(spork__tree_alive(member.id));
}

TEST(Tree, ManyComingAndGoingAtOnceNeverShareAnId)
{
    const int processes = harness_wine() ? 4 : 16, rounds = std::max(harness_count(200), 10);
    harness_end *reader = nullptr, *writer = nullptr;
    ASSERT_TRUE(harness_pipe(&reader, &writer));
    std::vector<spork_process *> all;
    for (int i = 0; i < processes; i++) {
        all.push_back(spork_process_new(trees_come_and_go, spork_pack(harness_give(writer), rounds)));
        ASSERT_EQ(SPORK_OK, spork_process_start(all.back())) << spork_error();
    }
    harness_end_free(writer);

    std::map<uint32_t, int> holders;
    std::set<uint32_t> ever;
    std::vector<char> bytes;
    char some[4096];
    int joins = 0;
    for (long n; (n = harness_read(reader, some, sizeof some)) > 0;) {
        bytes.insert(bytes.end(), some, some + n);
        size_t used = 0;
        for (; bytes.size() - used >= sizeof(trees_event); used += sizeof(trees_event)) {
            trees_event event;
            std::copy_n(bytes.data() + used, sizeof event, reinterpret_cast<char *>(&event));
            if (event.pid > 0) {
                joins++;
                ASSERT_TRUE(holders.emplace(event.id, event.pid).second)
                    << event.pid << " was given the id " << event.id << " of " << holders[event.id];
                ASSERT_TRUE(ever.insert(event.id).second) << event.id << " came back";
            } else {
                ASSERT_EQ(-event.pid, holders[event.id]);
                holders.erase(event.id);
            }
        }
        bytes.erase(bytes.begin(), bytes.begin() + static_cast<long>(used));
    }
    EXPECT_EQ(processes * rounds, joins);
    EXPECT_TRUE(holders.empty());
    for (spork_process *p : all) {
        EXPECT_EQ(SPORK_OK, spork_process_join(p, kWatchdogMs));
        EXPECT_EQ(0, spork_process_exitcode(p));
        spork_process_free(p);
    }
    harness_end_free(reader);
}

TEST(Tree, AFullTableIsRefusedAndTheNextFreeSlotFound)
{
    std::vector<std::string> lines = lines_of("tree-full");
    ASSERT_EQ(2u, lines.size());
    EXPECT_EQ("0 SPORK_NO_SPACE the table of processes is full: " + std::to_string(SPORK__TREE_SLOTS) +
                  " live at once is the most",
              lines[0]);
    EXPECT_EQ("slot 17 generation 6", lines[1]);
}

TEST(Tree, GenerationsWrapAroundPastZero)
{
    const std::vector<std::string> expected = {
        std::to_string((1 << SPORK__TREE_GENERATION_BITS) - 1) + " alive", "1 alive",
        std::to_string((1 << SPORK__TREE_GENERATION_BITS) - 1) + " alive", "1 alive"};
    EXPECT_EQ(expected, lines_of("tree-worn"));
}

TEST(Tree, AReusedProcessNumberDoesNotRaiseTheDead)
{
    const std::vector<std::string> expected = {"alive", "dead", "alive"};
    EXPECT_EQ(expected, lines_of("tree-reused-number"));
}

} // namespace
