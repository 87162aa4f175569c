// A process in a test: started, killed and freed at the end of its scope, so that a failed assertion leaves nothing behind.
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "budget.h"
#include "harness/harness.h"
#include "harness/targets.h"

// Where a storm begins; it is printed, and SPORK_TEST_SEED repeats it.
inline unsigned storm_seed()
{
    const char *wish = getenv("SPORK_TEST_SEED");
    unsigned value = wish != nullptr ? static_cast<unsigned>(strtoul(wish, nullptr, 10)) : std::random_device{}();
    printf("SPORK_TEST_SEED=%u\n", value);
    return value;
}

// What starts no process shows the same under each start method: with full counts it does so under
// each, else under the first.
inline bool starts_nothing_new()
{
#ifdef _WIN32
    return false; // there is one method
#else
    const char *method = getenv("SPORK_START_METHOD");
    return method != nullptr && strcmp(method, "fork") != 0 && !harness_full();
#endif
}
#define SHOWN_UNDER_FORK \
    if (starts_nothing_new()) GTEST_SKIP() << "it starts no process, and runs under fork alone"

class Child {
  public:
    explicit Child(spork_process *process) : process_(process) {}
    Child(spork_target target, const spork_args &args) : process_(spork_process_new(target, args)) {}
    Child(const Child &) = delete;
    Child &operator=(const Child &) = delete;
    ~Child()
    {
        if (spork_process_is_alive(process_)) {
            spork_process_kill(process_);
            spork_process_join(process_, kWatchdogMs);
        }
        spork_process_free(process_);
    }
    spork_process *get() const { return process_; }
    spork_status start() { return spork_process_start(process_); }
    // Its exit code once it has ended; fails the test if it does not.
    int join()
    {
        EXPECT_EQ(SPORK_OK, spork_process_join(process_, kWatchdogMs)) << spork_error();
        return spork_process_exitcode(process_);
    }
    int run()
    {
        spork_status status = start();
        EXPECT_EQ(SPORK_OK, status) << spork_error();
        return status == SPORK_OK ? join() : -999;
    }

  private:
    spork_process *process_;
};

// A thread that is joined at the end of its scope, even when an assertion ends the test.
class Thread {
  public:
    explicit Thread(std::function<void()> fn) : thread_(std::move(fn)) {}
    ~Thread() { join(); }
    Thread(const Thread &) = delete;
    Thread &operator=(const Thread &) = delete;
    void join()
    {
        if (thread_.joinable()) thread_.join();
    }

  private:
    std::thread thread_;
};

// A pipe of the harness whose ends go with the scope.
struct Pipe {
    harness_end *reader = nullptr, *writer = nullptr;
    Pipe() { EXPECT_TRUE(harness_pipe(&reader, &writer)); }
    ~Pipe()
    {
        harness_end_free(reader);
        harness_end_free(writer);
    }
    Pipe(const Pipe &) = delete;
    Pipe &operator=(const Pipe &) = delete;
    void close_writer()
    {
        harness_end_free(writer);
        writer = nullptr;
    }
    void close_reader()
    {
        harness_end_free(reader);
        reader = nullptr;
    }
    // All that comes until the end of the file.
    std::string rest()
    {
        std::string all;
        char buffer[4096];
        for (long n; (n = harness_read(reader, buffer, sizeof buffer)) > 0;) all.append(buffer, static_cast<size_t>(n));
        return all;
    }
};

// Sleeps until it is so; the test fails if that is not before the patience is over.
inline void until(const std::function<bool()> &done, const char *what)
{
    EXPECT_TRUE(harness_until(
        [](void *user) { return (*static_cast<const std::function<bool()> *>(user))(); },
        const_cast<std::function<bool()> *>(&done)))
        << what;
}

// The output of a program of the harness', which has to end with that code.
inline std::string output_of(const char *scenario, const char *argument, int exitcode)
{
    harness_program *program = harness_run(scenario, argument);
    EXPECT_NE(nullptr, program);
    std::string output = harness_output(program);
    EXPECT_EQ(exitcode, harness_wait(program)) << output;
    harness_free(program);
    return output;
}

inline spork_process_options options_for(spork_target target, const spork_args &args)
{
    spork_process_options o = {};
    o.target = target;
    o.args = args;
    return o;
}

inline bool windows()
{
#ifdef _WIN32
    return true;
#else
    return false;
#endif
}

#endif
