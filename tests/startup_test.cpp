// What can go wrong between start and the target, and many starts at once. Runs once under each start method.
#ifndef _WIN32
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <thread>

#include "child.h"
#include "fault.h"
#include "harness/connections.h"
#include "harness/deny.h"
#include "platform.h"

namespace {

bool forked() { return spork_get_start_method() == SPORK_FORK; }
bool spawned() { return spork_get_start_method() == SPORK_SPAWN; }

// Children behave so before they reach spork_init (tests/main.cpp).
struct Bootstrap {
    explicit Bootstrap(const char *how) { harness_setenv("HARNESS_BOOTSTRAP", how); }
    ~Bootstrap()
    {
        harness_setenv("HARNESS_BOOTSTRAP", nullptr);
        harness_be_patient();
    }
};

std::string output_of(harness_program *program)
{
    EXPECT_NE(nullptr, program);
    if (program == nullptr) return "";
    std::string output = harness_output(program);
    EXPECT_EQ(0, harness_wait(program)) << output;
    harness_free(program);
    return output;
}

TEST(Startup, ByForkWhileOtherThreadsRunIsWarnedOfOnce)
{
    std::string output = output_of(harness_run("start_with_thread", ""));
    if (!forked()) {
        EXPECT_EQ("child\nchild\n", output);
        return;
    }
    EXPECT_EQ(0u, output.find("log: fork in a program with ")) << output;
    EXPECT_NE(std::string::npos, output.find("SPORK_FORKSERVER")) << output;
    EXPECT_EQ(output.size() - strlen("child\nchild\n"), output.find("child\nchild\n")) << output;
    EXPECT_EQ(output.find("log: "), output.rfind("log: ")) << output;
}

TEST(Startup, OfAChildsChildrenIsByTheMethodThatItWasStartedBy)
{
    std::string method =
        getenv("SPORK_START_METHOD") != nullptr ? getenv("SPORK_START_METHOD") : "";
    harness_setenv("SPORK_START_METHOD", nullptr);
    output_of(harness_run("methods_of_children", ""));
    output_of(harness_run("methods_of_children", "set"));
    harness_setenv("SPORK_START_METHOD", method.empty() ? nullptr : method.c_str());
}

#ifdef __linux__
TEST(Startup, OfAProgramWithMoreRightsThanItsUserTakesNoOrdersFromTheEnvironment)
{
    if (harness_instrumented()) GTEST_SKIP() << "the leak checker cannot look into a program with more rights";
    if (geteuid() != 0) GTEST_SKIP() << "only root can make a set-user-id program of another user";
    if (harness_denies_any()) GTEST_SKIP() << "a process with a filter gets no rights by a program";
    // Where it may be found and read by that user too.
    std::string copy = "/tmp/spork-startup-test-" + std::to_string(spork_getpid());
    std::filesystem::copy_file(harness_self(), copy, std::filesystem::copy_options::overwrite_existing);
    ASSERT_EQ(0, chown(copy.c_str(), 65534, 65534));
    ASSERT_EQ(0, chmod(copy.c_str(), 04755));
    const char *arguments[] = {copy.c_str(), "--scenario", "start_each_way", "", nullptr};
    harness_setenv("SPORK_BOOTSTRAP",
                   ("3:4:" + std::to_string(spork_getpid()) + ":0123456789abcdef:-1").c_str());
    harness_setenv("SPORK_HOST", copy.c_str());
    std::string output = output_of(harness_run_program(arguments));
    harness_setenv("SPORK_BOOTSTRAP", nullptr);
    harness_setenv("SPORK_HOST", nullptr);
    std::filesystem::remove(copy);
    if (output == "child\nSPORK_OK\nchild\nSPORK_OK\nchild\nSPORK_OK\nobeys\n")
        GTEST_SKIP() << "/tmp does not allow set-user-id programs";
    EXPECT_EQ("child\nSPORK_OK\nSPORK_UNSUPPORTED\nSPORK_UNSUPPORTED\ndoes not obey\n", output);
}
#endif

TEST(Startup, OfAChildThatIsKilledDuringItsBootstrapIsReportedAtOnce)
{
    if (!spawned()) GTEST_SKIP() << "only a spawned child has a bootstrap of its own";
    Bootstrap killed("kill");
    Child child(target_return, spork_pack(4));
    EXPECT_EQ(SPORK_BROKEN, child.start());
    EXPECT_NE(nullptr, strstr(spork_error(), windows() ? "ended with exit code" : "signal 9")) << spork_error();
    EXPECT_EQ(0, harness_zombies());
    harness_setenv("HARNESS_BOOTSTRAP", nullptr);
    EXPECT_EQ(4, child.run()); // it may be started again
}

TEST(Startup, OfAProgramThatEndsBeforeSporkInitShowsTheLineToAdd)
{
    if (!spawned()) GTEST_SKIP() << "only a spawned child has a bootstrap of its own";
    Bootstrap ends("exit");
    Child child(target_return, spork_pack(4));
    EXPECT_EQ(SPORK_BROKEN, child.start());
    EXPECT_NE(nullptr, strstr(spork_error(), "spork_init(argc, argv)")) << spork_error();
    EXPECT_NE(nullptr, strstr(spork_error(), "exit code 3")) << spork_error();
}

TEST(Startup, OfAProgramThatNeverReachesSporkInitEndsAfterItsTime)
{
    if (!spawned()) GTEST_SKIP() << "only a spawned child has a bootstrap of its own";
    Bootstrap hangs("hang");
    harness_setenv("SPORK_START_TIMEOUT_MS", windows() ? "1000" : "200");
    Child child(target_return, spork_pack(4));
    EXPECT_EQ(SPORK_BROKEN, child.start());
    EXPECT_NE(nullptr, strstr(spork_error(), "spork_init(argc, argv)")) << spork_error();
    EXPECT_EQ(0, harness_zombies());
}

#ifdef __linux__
// A debugger, a leak checker: as long as it has not seen the end, the zombie is not its parent's to reap.
TEST(Startup, OfAChildThatIsTracedWhenItIsKilledLeavesNoZombie)
{
    if (spork_get_start_method() != SPORK_SPAWN) GTEST_SKIP() << "only a spawned child has a bootstrap of its own";
    int tracer = harness_trace_next_child(100);
    Bootstrap hangs("hang");
    harness_setenv("SPORK_START_TIMEOUT_MS", "300");
    Child child(target_return, spork_pack(0));
    EXPECT_EQ(SPORK_BROKEN, child.start());
    int status = 0;
    waitpid(tracer, &status, 0);
    if (status != 0) GTEST_SKIP() << "skipped: it could not be traced";
    EXPECT_EQ(0, harness_zombies());
}
#endif

TEST(Startup, OfAChildThatTakesOverWhenItsTimeIsJustOverSaysThatItMayHaveBegun)
{
    if (!spawned()) GTEST_SKIP() << "only a spawned child has a bootstrap of its own";
    spork_connection *reader = nullptr, *writer = nullptr;
    char word[8] = "";
    size_t size = 0;
    ASSERT_EQ(SPORK_OK, spork_pipe(&reader, &writer)) << spork_error();
    std::string may =
        (std::filesystem::temp_directory_path() / ("spork-late-" + std::to_string(spork_getpid()))).string();
    Bootstrap late(("until " + may).c_str());
    harness_setenv("SPORK_START_TIMEOUT_MS", "20");
    Child child(connections_say, spork_pack(writer, "begun"));
    spork__point_arm_hold(SPORK__AT_START_TIME_OVER, 1);
    std::string sentence;
    Thread starts([&] {
        EXPECT_EQ(SPORK_BROKEN, child.start());
        sentence = spork_error();
    });
    EXPECT_TRUE(harness_until([](void *) { return spork__point_held(); }, nullptr)) << "its time is not over";
    if (std::FILE *there = std::fopen(may.c_str(), "w")) std::fclose(there);
    EXPECT_EQ(SPORK_OK, spork_connection_recv_bytes(reader, word, sizeof word, &size, kWatchdogMs)) << spork_error();
    spork__point_release();
    starts.join();
    spork__point_arm(SPORK__POINT_NONE, 0);
    std::error_code in_use; // on Windows by the child, until it has quite ended; it may stay then
    std::filesystem::remove(may, in_use);
    EXPECT_NE(std::string::npos, sentence.find("may have been begun")) << sentence;
    EXPECT_EQ(0, harness_zombies());
    spork_connection_free(reader);
    spork_connection_free(writer);
}

TEST(Startup, InAChildBeforeItsSporkInitIsRefused)
{
    if (!spawned()) GTEST_SKIP() << "only a spawned child has a bootstrap of its own";
    Bootstrap starts("start"); // the child ends with 99 unless it is refused
    Child child(target_return, spork_pack(4));
    EXPECT_EQ(4, child.run());
}

TEST(Startup, OfAProgramWithoutSporkInitIsRefusedWithTheLinesToAdd)
{
    harness_program *program = harness_run("no_init", "");
    ASSERT_NE(nullptr, program);
    std::string output = harness_output(program);
    EXPECT_EQ(0, harness_wait(program));
    EXPECT_NE(std::string::npos, output.find("SPORK_BAD_STATE")) << output;
    EXPECT_NE(std::string::npos, output.find("spork_init(argc, argv);")) << output;
    EXPECT_NE(std::string::npos, output.find("int main(int argc, char **argv)")) << output;
    EXPECT_EQ(output.find("main runs"), output.rfind("main runs")) << output; // once: no process was started
    harness_free(program);
}

TEST(Startup, OfAnotherProgramThatKnowsNothingOfSpork)
{
    if (forked()) GTEST_SKIP() << "fork starts no program";
#ifdef _WIN32
    const char *stranger = "C:\\windows\\system32\\hostname.exe";
#else
    const char *stranger = "/bin/false";
#endif
    if (spork_set_executable(stranger) != SPORK_OK) GTEST_SKIP() << "there is no " << stranger;
    Child child(target_return, spork_pack(4));
    EXPECT_EQ(SPORK_BROKEN, child.start());
    EXPECT_EQ(SPORK_OK, spork_set_executable(nullptr));
    EXPECT_EQ(4, child.run()) << spork_error();
}

TEST(Startup, OfSixteenAtOnceFromEightThreads)
{
    std::vector<std::unique_ptr<Child>> children(16);
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; t++)
        threads.emplace_back([&, t] {
            for (int k = 0; k < 2; k++) {
                auto i = static_cast<size_t>(t * 2 + k);
                children[i] = std::make_unique<Child>(target_return, spork_pack(static_cast<int>(i)));
                EXPECT_EQ(SPORK_OK, children[i]->start()) << spork_error();
            }
        });
    for (auto &thread : threads) thread.join();
    for (size_t i = 0; i < children.size(); i++) EXPECT_EQ(static_cast<int>(i), children[i]->join());
}

TEST(Startup, OfAHundredAtOnceWhoAllReportTheirCode)
{
    std::vector<std::unique_ptr<Child>> children;
    for (int i : repeat(100, 20)) {
        children.push_back(std::make_unique<Child>(target_return, spork_pack(i)));
        ASSERT_EQ(SPORK_OK, children.back()->start()) << spork_error();
    }
    for (size_t i = 0; i < children.size(); i++) EXPECT_EQ(static_cast<int>(i), children[i]->join());
}

TEST(Startup, OfAHundredSleepersTerminatedRightAfterIt)
{
    std::vector<std::unique_ptr<Child>> children;
    for ([[maybe_unused]] int i : repeat(100, 20)) {
        children.push_back(std::make_unique<Child>(target_sleep, SPORK_NO_ARGS));
        ASSERT_EQ(SPORK_OK, children.back()->start()) << spork_error();
        ASSERT_EQ(SPORK_OK, spork_process_terminate(children.back()->get())) << spork_error();
    }
    for (auto &child : children) EXPECT_EQ(-15, child->join());
}

// A descriptor that leaks shows in the first ones, memory in hundreds.
TEST(Startup, AndJoinTenThousandTimesLeavesNothingBehind)
{
    constexpr int warm = 5, warmer = 100, many = 500;
    int descriptors = 0, rounds = 0;
    long rss = 0;
    for (int i : repeat(10000, 2 * warm, 3)) {
        rounds = i + 1;
        {
            Child child(target_return, spork_pack(i & 0x7F));
            ASSERT_EQ(i & 0x7F, child.run()) << "round " << i;
        }
        if (i == warm) descriptors = harness_descriptors(nullptr, 0);
        if (i == warmer) rss = harness_rss_kib();
    }
    EXPECT_EQ(descriptors, harness_descriptors(nullptr, 0));
    EXPECT_EQ(0, harness_zombies());
    if (rounds < many)
        printf("too few for a look at the memory\n");
    else if (!harness_instrumented() && !windows()) {
        EXPECT_LE(harness_rss_kib(), rss + 256);
    }
}

TEST(Startup, AndForgetAThousandTimesLeavesNothingBehind)
{
    {
        Child warm_up(target_return, spork_pack(0));
        warm_up.run();
    }
    int descriptors = harness_descriptors(nullptr, 0);
    for (int i : repeat(1000)) {
        spork_process *p = spork_process_new(target_return, spork_pack(i & 0x7F));
        ASSERT_EQ(SPORK_OK, spork_process_start(p)) << spork_error();
        spork_process_free(p);
    }
    // They are reaped by later calls; here, by looking.
    auto done = [](void *) { return spork_active_children(nullptr, 0) == 0 && harness_zombies() == 0; };
    EXPECT_TRUE(harness_until(done, nullptr));
    auto flat = [](void *expected) {
        spork_active_children(nullptr, 0);
        return harness_descriptors(nullptr, 0) <= *static_cast<int *>(expected);
    };
    EXPECT_TRUE(harness_until(flat, &descriptors)) << harness_descriptors(nullptr, 0) << " instead of " << descriptors;
}

TEST(Startup, OfChildrenThatStartTheirOwn)
{
    Pipe pipe;
    std::vector<std::unique_ptr<Child>> children;
    for (int i = 0; i < 4; i++) {
        children.push_back(std::make_unique<Child>(target_nested, spork_pack(harness_give(pipe.writer), 2)));
        ASSERT_EQ(SPORK_OK, children.back()->start()) << spork_error();
    }
    for (auto &child : children) EXPECT_EQ(0, child->join());
    pipe.close_writer();
    std::string all = pipe.rest();
    EXPECT_EQ(12, std::count(all.begin(), all.end(), '\n')) << all;
}

// Eight threads that never stop allocating, printing and calling Spork, while children start.
TEST(Startup, FromAProgramWithEightBusyThreads)
{
    if (harness_instrumented() && forked())
        GTEST_SKIP() << "the sanitizers' allocators do not survive a fork in the middle of another thread's malloc";
    spork_set_log(SPORK_LOG_ERROR, nullptr, nullptr); // the warning about threads is expected
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; t++)
        threads.emplace_back([&stop, t] {
            spork_args pack = spork_pack(t);
            while (!stop) {
                target_busy(&pack);
                printf("%s", ""); // stdout's lock
                std::this_thread::yield();
            }
        });
    for (int i : repeat(1000)) {
        Child child(target_busy, spork_pack(i));
        ASSERT_EQ(0, child.run()) << "round " << i;
    }
    stop = true;
    for (auto &thread : threads) thread.join();
    spork_set_log(static_cast<spork_log_level>(0), nullptr, nullptr);
}

#ifndef _WIN32
TEST(Startup, GoesOnWhenTheForkServerWasKilled)
{
    if (spork_get_start_method() != SPORK_FORKSERVER) GTEST_SKIP() << "there is no fork server";
    Child sleeper(target_sleep, SPORK_NO_ARGS), child(target_return, spork_pack(6));
    ASSERT_EQ(SPORK_OK, sleeper.start());
    for (int round = 0; round < 3; round++) {
        int pid = spork__os_forkserver_pid();
        ASSERT_GT(pid, 0);
        ASSERT_EQ(0, kill(pid, SIGKILL));
        Child next(target_return, spork_pack(round));
        EXPECT_EQ(round, next.run()) << spork_error();
        EXPECT_NE(pid, spork__os_forkserver_pid());
    }
    EXPECT_TRUE(spork_process_is_alive(sleeper.get())); // siblings are not concerned
}
#endif

} // namespace
