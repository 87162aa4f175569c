// Kills at random moments around the start. Seeds are printed; SPORK_TEST_SEED repeats one. scripts/storm.sh runs these long.
// Runs once under each start method.
#ifndef _WIN32
#include <signal.h>
#endif

#include <atomic>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>

#include "child.h"
#include "platform.h"

namespace {

TEST(Storm, ChildrenKilledRightAfterTheirStartEndAsKilledOrAsTheyWished)
{
    std::mt19937 random(storm_seed());
    int killed = 0;
    for (int i : repeat(500, 4, 2)) {
        Child child(target_return, spork_pack(7));
        ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
        for (auto wait = random() % 200; wait > 0; wait--) std::atomic_signal_fence(std::memory_order_seq_cst);
        ASSERT_EQ(SPORK_OK, spork_process_kill(child.get())) << spork_error();
        int code = child.join();
        ASSERT_TRUE(code == -9 || code == 7) << "round " << i << ": " << code;
        killed += code == -9;
    }
    printf("%d were killed before they ended\n", killed);
    EXPECT_EQ(0, harness_zombies());
}

TEST(Storm, StartsFromManyThreadsWhileChildrenAreKilled)
{
    std::mt19937 random(storm_seed());
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&, number = random()] {
            std::mt19937 mine(number);
            for (int i : repeat(100, 4, 2)) {
                Child sleeper(target_sleep, SPORK_NO_ARGS), other(target_return, spork_pack(i & 0x7F));
                if (sleeper.start() != SPORK_OK || other.start() != SPORK_OK) {
                    wrong++;
                    continue;
                }
                if (mine() % 2 != 0)
                    spork_process_terminate(sleeper.get());
                else
                    spork_process_kill(sleeper.get());
                int code = sleeper.join();
                if (other.join() != (i & 0x7F) || (code != -9 && code != -15)) wrong++;
            }
        });
    for (auto &thread : threads) thread.join();
    EXPECT_EQ(0, wrong);
    EXPECT_EQ(0, harness_zombies());
}

#ifndef _WIN32
// Each start is one run of the target, whatever happens to the server meanwhile: as many bytes arrive as starts succeeded.
TEST(Storm, TheForkServerKilledAtAnyMomentNeitherLosesNorDoublesATarget)
{
    if (spork_get_start_method() != SPORK_FORKSERVER) GTEST_SKIP() << "there is no fork server";
    spork_set_log(SPORK_LOG_ERROR, nullptr, nullptr);
    std::mt19937 random(storm_seed());
    std::atomic<bool> stop{false};
    Pipe pipe;
    Child warm_up(target_return, spork_pack(0));
    ASSERT_EQ(0, warm_up.run());
    std::thread killer([&, number = random()] {
        std::mt19937 mine(number);
        while (!stop) {
            // The server is reaped under the library's lock, so this number is a server's, or a zombie's of ours.
            int pid = spork__os_forkserver_pid();
            if (pid > 0) kill(pid, SIGKILL);
            std::this_thread::sleep_for(std::chrono::microseconds(500 + mine() % 3000));
        }
    });
    int started = 0, broken = 0, unknown = 0;
    for (int i : repeat(500, 4, 2)) {
        Child child(target_write, spork_pack(harness_give(pipe.writer), "x"));
        spork_status status = child.start();
        if (status == SPORK_OK) {
            started++;
            int code = child.join();
            if (code == SPORK_EXIT_UNKNOWN)
                unknown++; // relayed, and its server was killed
            else {
                ASSERT_EQ(0, code) << "round " << i;
            }
        } else {
            ASSERT_EQ(SPORK_BROKEN, status) << spork_error(); // three servers in a row
            broken++;
        }
    }
    stop = true;
    killer.join();
    Child last(target_return, spork_pack(0)); // and the server that was killed last is reaped
    EXPECT_EQ(0, last.run()) << spork_error();
    pipe.close_writer();
    size_t bytes = pipe.rest().size(); // until the end of the file: until the last child has ended
    EXPECT_EQ(static_cast<size_t>(started), bytes);
    printf("%d started, %d gave up, %d of unknown end\n", started, broken, unknown);
    EXPECT_EQ(0, harness_zombies());
}
#endif

} // namespace
