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

// ---- signals and streams ----

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
    const char *call;
    int error;
};
class Optional : public testing::TestWithParam<Refused> {};

TEST_P(Optional, SystemCallsMayBeRefused)
{
    if (harness_instrumented()) GTEST_SKIP() << "sanitizers need system calls of their own";
    std::string argument = std::string(GetParam().call) + " " + std::to_string(GetParam().error);
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
    testing::Values(Refused{"memfd_create", ENOSYS}, Refused{"memfd_create", EPERM},
                    Refused{"memfd_create", EACCES}, Refused{"pidfd_open", ENOSYS},
                    Refused{"pidfd_open", EPERM}, Refused{"clone3", ENOSYS},
                    Refused{"eventfd2", ENOSYS}, Refused{"eventfd2", EPERM},
                    Refused{"fallocate", ENOSYS}, Refused{"fallocate", EPERM},
                    Refused{"pwritev2", ENOSYS}, Refused{"pwritev2", EPERM},
                    Refused{"madvise", ENOSYS}, Refused{"madvise", EPERM},
                    Refused{"close_range", ENOSYS}, Refused{"close_range", EPERM}),
    [](const testing::TestParamInfo<Refused> &one) {
        const char *error = one.param.error == ENOSYS  ? "ENOSYS"
                            : one.param.error == EPERM ? "EPERM"
                                                       : "EACCES";
        return std::string(one.param.call) + "_" + error;
    });

#endif

} // namespace
