// Processes in surroundings that nobody chose: what children do with descriptors, signals and
// streams that they have in common with their parent, and systems that refuse what is optional.
// Runs once under each start method.
#include "harness/surroundings.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "child.h"

#ifndef _WIN32
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
#endif
#include "spork_config.h"

namespace {

#ifdef _WIN32

TEST(Surroundings, AreTestedWhereChildrenInheritThem) { GTEST_SKIP() << "Windows hands nothing of this down"; }

#else

// ---- descriptors ----

struct Ends {
    int read = -1, write = -1;
    Ends()
    {
        int ends[2];
        EXPECT_TRUE(harness_pipe_made(ends));
        read = ends[0];
        write = ends[1];
    }
    ~Ends()
    {
        close(read);
        close_writer();
    }
    Ends(const Ends &) = delete;
    Ends &operator=(const Ends &) = delete;
    void close_writer()
    {
        if (write >= 0) close(write);
        write = -1;
    }
    std::string rest()
    {
        std::string all;
        char buffer[256];
        close_writer();
        for (ssize_t n; (n = ::read(read, buffer, sizeof buffer)) > 0;)
            all.append(buffer, static_cast<size_t>(n));
        return all;
    }
};

int run_with(spork_target target, int number)
{
    spork_native passed[] = {number};
    spork_process_options o = options_for(target, spork_pack(number));
    o.pass_fds = passed;
    o.pass_fds_count = 1;
    return Child(spork_process_new_with(&o)).run();
}

TEST(Surroundings, APassedDescriptorReachesAProgramThatTheTargetExecutes)
{
    Ends ends;
    ASSERT_EQ(6, write(ends.write, "hello\n", 6));
    EXPECT_EQ(0, run_with(surroundings_read_after_exec, ends.read));
    EXPECT_EQ(FD_CLOEXEC, fcntl(ends.read, F_GETFD)) << "ours is as it was";
}

// Above 2, of those that whoever started the tests has left.
int inheritable()
{
    int list[1000], all = harness_descriptors(list, 1000), count = 0;
    for (int i = 0; i < all && i < 1000; i++) count += list[i] > 2 && fcntl(list[i], F_GETFD) == 0;
    return count;
}

TEST(Surroundings, NothingOfSporksDoesButTheTieToTheParent)
{
    Ends ends;
    spork_queue *queue = spork_queue_new(0, 0); // not passed, and so not there
    spork_native passed[] = {ends.write};
    spork_process_options o = options_for(surroundings_list_after_exec, spork_pack(ends.write));
    o.pass_fds = passed;
    o.pass_fds_count = 1;
    EXPECT_EQ(0, Child(spork_process_new_with(&o)).run());
    int listed = atoi(ends.rest().c_str()),
        foreign = spork_get_start_method() == SPORK_FORK ? inheritable() : 0;
    EXPECT_GE(listed, foreign);
    EXPECT_LE(listed, foreign + 1);
    spork_queue_free(queue);
}

TEST(Surroundings, APassedDescriptorMayHaveTheHighestNumberThereIs)
{
    Ends ends;
    struct rlimit before, lower;
    ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &before));
    lower = before;
    lower.rlim_cur = std::min<rlim_t>(256, before.rlim_max);
    ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &lower));
    int highest = fcntl(ends.write, F_DUPFD_CLOEXEC, static_cast<int>(lower.rlim_cur) - 1);
    if (highest < 0) {
        setrlimit(RLIMIT_NOFILE, &before);
        GTEST_SKIP() << "somebody has the highest number already";
    }
    EXPECT_EQ(0, run_with(surroundings_write, highest));
    close(highest);
    setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_EQ("x", ends.rest());
}

// Numbers that are taken in a fork server, one after the other.
TEST(Surroundings, PassedDescriptorsMayHaveAnyNumbersOfASmallRange)
{
    Ends ends;
    std::vector<spork_native> passed;
    for (int number = 3; number < 60; number++)
        if (fcntl(number, F_GETFD) < 0 && dup2(ends.write, number) == number)
            passed.push_back(number);
    if (passed.empty()) GTEST_SKIP() << "all these numbers are taken";
    for (spork_native number : passed) {
        spork_process_options o =
            options_for(surroundings_write, spork_pack(static_cast<int>(number)));
        o.pass_fds = passed.data();
        o.pass_fds_count = passed.size();
        if (number != passed.front() && number != passed.back()) continue;
        EXPECT_EQ(0, Child(spork_process_new_with(&o)).run());
    }
    for (spork_native number : passed) close(static_cast<int>(number));
    EXPECT_EQ(passed.size() > 1 ? "xx" : "x", ends.rest());
}

#ifdef __linux__
TEST(Surroundings, AProgramThatTheTargetExecutesDiesWithTheParentToo)
{
#if SPORK_PORTABLE_POSIX
    GTEST_SKIP()
        << "what ties a child to its parent here is a thread, and does not survive an exec";
#endif
    harness_program *program = harness_run("surroundings-exec", "");
    ASSERT_NE(nullptr, program);
    const char *line = harness_line(program);
    ASSERT_NE(nullptr, line);
    int pid = atoi(line);
    harness_kill(program);
    EXPECT_STREQ("", harness_output(program)); // its end: nobody has the pipe any more
    harness_wait(program);
    harness_free(program);
    EXPECT_TRUE(harness_until(
        [](void *user) { return !harness_pid_exists(*static_cast<int *>(user)); }, &pid));
}
#endif

// ---- places ----

#ifdef __linux__
// The leak checker needs /proc, and the rights to look into its own process.
harness_program *run_in_place(const char *scenario, const char *place)
{
    harness_setenv("LSAN_OPTIONS", "detect_leaks=0");
    harness_program *program = harness_run(scenario, place);
    harness_setenv("LSAN_OPTIONS", nullptr);
    return program;
}

// What it printed; "" if it cannot go there.
std::string in_place(const char *scenario, const char *place, int exitcode)
{
    harness_program *program = run_in_place(scenario, place);
    if (program == nullptr) return "";
    std::string output = harness_output(program);
    int code = harness_wait(program);
    harness_free(program);
    if (code == 77) return "";
    EXPECT_EQ(exitcode, code) << output;
    return output;
}

class Places : public testing::TestWithParam<const char *> {};

TEST_P(Places, AllWorksAndMainRunsOnce)
{
    std::string place = GetParam();
    bool served = spork_get_start_method() == SPORK_FORKSERVER;
    if (place == "root" && spork_get_start_method() != SPORK_FORK)
        GTEST_SKIP() << "there is no loader for a program there";
    if ((place == "pids" || place == "no_proc") && served)
        GTEST_SKIP() << "a server cannot serve there";
    if (place == "no_proc" && harness_instrumented())
        GTEST_SKIP() << "sanitizers find their options there";
    if (place == "closed" && spork_get_start_method() != SPORK_FORK)
        GTEST_SKIP() << "the program is not known any more";
    std::string output = in_place("places-work", GetParam(), 0);
    if (output.empty()) GTEST_SKIP() << "a program cannot go there, as without root's rights";
    EXPECT_EQ("main\nworks\n", output);
}

INSTANTIATE_TEST_SUITE_P(Each, Places,
                         testing::Values("user", "no_proc", "root", "pids", "users", "closed"),
                         [](const testing::TestParamInfo<const char *> &one) {
                             return std::string(one.param);
                         });

void expect_sentence(const char *place, const char *status, const char *text)
{
    std::string output = in_place("places-fail", place, 0);
    if (output.empty()) GTEST_SKIP() << "a program cannot go there, as without root's rights";
    EXPECT_NE(std::string::npos, output.find(status)) << output;
    EXPECT_NE(std::string::npos, output.find(text)) << output;
}

TEST(Surroundings, AStartThatCannotBeIsToldWithItsReason)
{
    spork_start_method method = spork_get_start_method();
    if (method == SPORK_FORK) GTEST_SKIP() << "all starts work";
    if (method == SPORK_FORKSERVER) {
        expect_sentence("root", "SPORK_NOT_FOUND", "cannot be told (/proc)");
        expect_sentence("pids", "SPORK_UNSUPPORTED", "pid namespace");
    } else {
        expect_sentence("root", "SPORK_NOT_FOUND", "there is no /proc");
        expect_sentence("closed", "SPORK_BAD_STATE", "has closed descriptor");
    }
}

TEST(Surroundings, NoRoomForTheFirstSharedMemoryIsAStatusAndNoDeath)
{
    if (harness_instrumented()) GTEST_SKIP() << "sanitizers need system calls of their own";
    std::string output = in_place("places-first", "full", 0);
    if (output.empty()) GTEST_SKIP() << "a program cannot go there: no rights, or an older kernel";
    EXPECT_EQ(0u, output.find("SPORK_NO_SPACE: ")) << output;
}

TEST(Surroundings, AChildOutlastsTheForkServerThatStartedItAfterAChangeOfUser)
{
    std::string output = in_place("places-last", "user", 0);
    if (output.empty()) GTEST_SKIP() << "there are no rights to give up";
    EXPECT_EQ("main\nworks\n", output);
}

TEST(Surroundings, MoreObjectsOnTheirWayThanTheSystemAllowsAreNoSpaceAndNothingIsLost)
{
    std::string output = in_place("places-flood", "user", 0);
    if (output.empty())
        GTEST_SKIP() << "root's rights know no such bound, and there are none to give up";
    EXPECT_EQ(0u, output.find(
                      "SPORK_NO_SPACE: spork_connection_send: nothing was sent: more descriptors"))
        << output;
}

class Tied : public testing::TestWithParam<const char *> {};

TEST_P(Tied, AChildEndsWithItsParent)
{
    std::string place = GetParam();
    if ((place == "pids" || place == "no_proc") && spork_get_start_method() == SPORK_FORKSERVER)
        GTEST_SKIP() << "a server cannot serve there";
    if (place == "no_proc" && harness_instrumented())
        GTEST_SKIP() << "sanitizers find their options there";
    harness_program *program = run_in_place("places-stay", GetParam());
    ASSERT_NE(nullptr, program);
    const char *line = harness_line(program);
    int pid = line != nullptr ? atoi(line) : 0;
    if (pid > 0) harness_kill(program);
    std::string rest = harness_output(program);
    int code = harness_wait(program);
    harness_free(program);
    if (code == 77) GTEST_SKIP() << "a program cannot go there, as without root's rights";
    ASSERT_GT(pid, 0) << rest;
    EXPECT_TRUE(harness_until(
        [](void *user) { return !harness_pid_exists(*static_cast<int *>(user)); }, &pid));
}

INSTANTIATE_TEST_SUITE_P(Each, Tied, testing::Values("user", "no_proc", "pids", "users"),
                         [](const testing::TestParamInfo<const char *> &one) {
                             return std::string(one.param);
                         });
#endif

// ---- signals and streams ----

TEST(Surroundings, AChildHasTheStreamsOfNowAndNobodyKeepsThoseOfBefore)
{
    EXPECT_EQ("p..p..-..\n", output_of("surroundings-streams", "", 0));
}

TEST(Surroundings, SignalsThatWereIgnoredAtTheBeginningAreSoInChildren)
{
    output_of("surroundings-ignored", "", 0);
}

TEST(Surroundings, ADaemonThatDoesNotEndWhenItIsAskedToIsKilled)
{
    output_of("surroundings-daemon", "", 0);
}

#if SPORK_HAVE_ON_EXIT
TEST(Surroundings, AChildThatCallsExitLeavesItsParentsStreamsAndHandlersAlone)
{
    EXPECT_EQ("5000 lines read, 5 bytes written\nhandler\n",
              output_of("surroundings-exit", "exit", 0));
    EXPECT_EQ("5000 lines read, 5 bytes written\nhandler\n",
              output_of("surroundings-exit", "must", 0));
    EXPECT_EQ("5000 lines read, 5 bytes written\nhandler\n",
              output_of("surroundings-exit", "twice", 0));
}
#endif

// ---- what is optional ----

struct Refused {
    const char *call, *error;
};
class Optional : public testing::TestWithParam<Refused> {};

TEST_P(Optional, SystemCallsMayBeRefused)
{
    if (harness_instrumented()) GTEST_SKIP() << "sanitizers need system calls of their own";
    std::string argument = std::string(GetParam().call) + " " + GetParam().error;
    harness_program *program = harness_run("surroundings-deny", argument.c_str());
    ASSERT_NE(nullptr, program);
    std::string output = harness_output(program);
    int code = harness_wait(program);
    harness_free(program);
    if (code == 77) GTEST_SKIP() << "it cannot be refused here";
    EXPECT_EQ(0, code) << output;
}

// glibc itself takes nothing but ENOSYS for an answer that clone3 is not there.
INSTANTIATE_TEST_SUITE_P(
    Each, Optional,
    testing::Values(Refused{"memfd_create", "ENOSYS"}, Refused{"memfd_create", "EPERM"},
                    Refused{"memfd_create", "EACCES"}, Refused{"pidfd_open", "ENOSYS"},
                    Refused{"pidfd_open", "EPERM"}, Refused{"clone3", "ENOSYS"},
                    Refused{"eventfd2", "ENOSYS"}, Refused{"eventfd2", "EPERM"},
                    Refused{"fallocate", "ENOSYS"}, Refused{"fallocate", "EPERM"},
                    Refused{"pwritev2", "ENOSYS"}, Refused{"pwritev2", "EPERM"},
                    Refused{"madvise", "ENOSYS"}, Refused{"madvise", "EPERM"},
                    Refused{"close_range", "ENOSYS"}, Refused{"close_range", "EPERM"}),
    [](const testing::TestParamInfo<Refused> &one) {
        return std::string(one.param.call) + "_" + one.param.error;
    });

#endif

} // namespace
