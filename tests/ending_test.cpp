// How children and parents end: what is said, who goes with whom, and that nothing hangs. Runs once under each start method.
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <sstream>

#include "child.h"
#include "harness/pools.h"

namespace {

TEST(Ending, OfTheTargetRunsWhatWasGivenForItAndNoAtexit)
{
    Pipe pipe;
    Child child(target_endings, spork_pack(harness_give(pipe.writer)));
    EXPECT_EQ(0, child.run());
    pipe.close_writer();
    EXPECT_EQ("21", pipe.rest());
}

TEST(Ending, WithAThreadThatIsBlockedInStdinDoesNotHang)
{
    Pipe never;
    Child child(target_stdin, spork_pack(harness_give(never.reader)));
    testing::internal::CaptureStdout(); // and what it said is not lost
    EXPECT_EQ(5, child.run());
    EXPECT_EQ("said before the end", testing::internal::GetCapturedStdout());
}

TEST(Ending, OfEightWritersIntoOnePipeLosesAndDoublesNothing)
{
    int count = harness_count(10000);
    std::string text = std::to_string(count);
    harness_program *program = harness_run("lines", text.c_str());
    ASSERT_NE(nullptr, program);
    std::map<int, int> next;
    int lines = 0;
    for (const char *line; (line = harness_line(program)) != nullptr; lines++) {
        int index = -1, number = -1, end = 0;
        ASSERT_EQ(2, sscanf(line, "line %d %d of some text%n", &index, &number, &end)) << line;
        ASSERT_EQ(strlen(line), static_cast<size_t>(end)) << line; // whole
        ASSERT_EQ(next[index], number) << line;                    // once, in order
        next[index]++;
    }
    EXPECT_EQ(8 * count, lines);
    EXPECT_EQ(0, harness_wait(program));
    harness_free(program);
}

TEST(Ending, WhatTheParentHadNotYetWrittenIsWrittenOnce)
{
    EXPECT_EQ("begun, no newline yet; child\n; parent\n", output_of("unwritten", "", 0));
}

TEST(Ending, OfTheProgramJoinsItsChildren) { EXPECT_EQ("main ends\nchild ends\n", output_of("join_at_exit", "", 0)); }

TEST(Ending, OfTheProgramTerminatesItsDaemons) { EXPECT_EQ("main ends\n", output_of("daemon_at_exit", "", 0)); }

TEST(Ending, OfTheProgramIsBoundedIfTheUserWantsIt) { EXPECT_EQ("main ends\n", output_of("bounded_exit", "", 0)); }

TEST(Ending, OfTheProgramSaysForWhomItWaitsAfterTwoSeconds)
{
    std::string output = output_of("slow_exit", "", 0);
    EXPECT_EQ(0u, output.find("main ends\nlog: waiting at the end for Process-1 (pid ")) << output;
    EXPECT_NE(std::string::npos, output.find("\nchild ends\n")) << output;
}

TEST(Ending, OfTheProgramSaysWhomItLeavesBehind)
{
    std::string output = output_of("slow_exit", "100", 0);
    EXPECT_EQ(0u, output.find("main ends\nlog: ending without Process-1 (pid ")) << output;
}

// Both take two seconds or more: before that it is not known that they do not end by themselves.
TEST(Ending, OfTheProgramIsToldToThoseWhoWaitForAnEndThatItHas)
{
    std::istringstream output(output_of("endings-wait", "", 0));
    std::vector<std::string> lines;
    for (std::string line; std::getline(output, line);)
        if (line.find("[spork warning") != 0) lines.push_back(line);
    std::sort(lines.begin(), lines.end());
    EXPECT_EQ(
        (std::vector<std::string>{"get: SPORK_CLOSED", "put: SPORK_CLOSED", "receive: SPORK_CLOSED",
                                  "receive: SPORK_CLOSED", "send: SPORK_CLOSED"}),
        lines);
}

TEST(Ending, OfTheProgramEndsDaemonsForWhomTheOthersWait)
{
    std::string output = output_of("endings-daemon", "", 0);
    EXPECT_NE(std::string::npos, output.find("get: SPORK_CLOSED\n")) << output;
}

TEST(Ending, OfTheProgramLeavesWhatChildrenHavePutAndSentToHandlersThatComeLater)
{
    EXPECT_EQ("got: SPORK_OK\nreceived: SPORK_OK\n", output_of("endings-late", "", 0));
}

TEST(Ending, OfTheProgramLeavesDaemonsToThoseWhomTheyServe)
{
    std::string output = output_of("endings-served", "", 0);
    EXPECT_NE(std::string::npos, output.find("served: SPORK_OK\n")) << output;
}

TEST(Ending, OfAChildJoinsItsOwnChildren)
{
    Child child(target_open_children, spork_pack(300));
    double begin = spork_time();
    EXPECT_EQ(3, child.run());
    EXPECT_GE(spork_time() - begin, 0.29);
}

// A root with four children, each with four of its own, all started from a thread that has ended: two levels below the root.
// The root is killed; what it left must be gone, but for the one that outlives its parent.
TEST(Ending, OfAKilledRootTakesTheWholeTreeWithIt)
{
    harness_program *root = harness_run("tree", "");
    ASSERT_NE(nullptr, root);
    std::vector<int> pids;
    int outliving = 0, pid = 0;
    for (int i = 0; i < 4 + 16 + 1; i++) {
        const char *line = harness_line(root);
        ASSERT_NE(nullptr, line);
        if (sscanf(line, "outlives %d", &pid) == 1)
            outliving = pid;
        else if (sscanf(line, "pid %d", &pid) == 1)
            pids.push_back(pid);
    }
    ASSERT_EQ(20u, pids.size());
    ASSERT_GT(outliving, 0);
    for (int one : pids) ASSERT_TRUE(harness_pid_exists(one));
    harness_kill(root);
    double begin = spork_time();
    auto gone = [](void *list) {
        auto *all = static_cast<std::vector<int> *>(list);
        return std::none_of(all->begin(), all->end(), [](int one) { return harness_pid_exists(one); });
    };
    EXPECT_TRUE(harness_until(gone, &pids));
    printf("the tree was gone %.1f ms after its root\n", (spork_time() - begin) * 1000);
    EXPECT_TRUE(harness_pid_exists(outliving));
    pools_kill(outliving);
    auto over = [](void *one) { return !harness_pid_exists(*static_cast<int *>(one)); };
    EXPECT_TRUE(harness_until(over, &outliving));
    harness_wait(root);
    harness_free(root);
}

TEST(Ending, OfAKilledRootWhoseChildIsBusyOrIgnoresSignals)
{
    harness_program *root = harness_run("deaf", "");
    ASSERT_NE(nullptr, root);
    int pid = 0;
    const char *line = harness_line(root);
    ASSERT_TRUE(line != nullptr && sscanf(line, "pid %d", &pid) == 1);
    harness_kill(root);
    auto over = [](void *one) { return !harness_pid_exists(*static_cast<int *>(one)); };
    EXPECT_TRUE(harness_until(over, &pid));
    harness_wait(root);
    harness_free(root);
}

#ifndef _WIN32
TEST(Ending, ByCtrlCEndsParentAndChildren)
{
    harness_program *root = harness_run("loops", "");
    ASSERT_NE(nullptr, root);
    int pid = 0;
    const char *line = harness_line(root);
    ASSERT_TRUE(line != nullptr && sscanf(line, "pid %d", &pid) == 1) << (line != nullptr ? line : "");
    harness_interrupt(root); // the root alone: the child follows by its lifeline
    EXPECT_EQ(-2, harness_wait(root));
    auto over = [](void *one) { return !harness_pid_exists(*static_cast<int *>(one)); };
    EXPECT_TRUE(harness_until(over, &pid));
    harness_free(root);
}
#endif

} // namespace
