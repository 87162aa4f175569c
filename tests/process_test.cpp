// Process, as a user sees it. Runs once under each start method.
#ifndef _WIN32
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#endif
#ifdef __linux__
#include <sys/ioctl.h>
#include <sys/syscall.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <thread>

#include "child.h"
#include "fault.h"
#include "platform.h"
#include "spork_config.h"

namespace {

// ---- exit codes: the table of process.h, a test a row ----

struct Row {
    const char *name;
    spork_target target;
    int number;      // its value, or
    const char *how; // this
    int exitcode;
};

void PrintTo(const Row &row, std::ostream *out) { *out << row.name; }

class ExitCode : public testing::TestWithParam<Row> {};

TEST_P(ExitCode, IsTheSameOnEverySystem)
{
    const Row &row = GetParam();
    Child child(row.target, row.how != nullptr ? spork_pack(row.how) : spork_pack(row.number));
    EXPECT_EQ(row.exitcode, child.run());
}

INSTANTIATE_TEST_SUITE_P(Table, ExitCode,
                         testing::Values(Row{"return_0", target_return, 0, nullptr, 0},
                                         Row{"return_1", target_return, 1, nullptr, 1},
                                         Row{"return_255", target_return, 255, nullptr, 255},
                                         Row{"return_259", target_return, 259, nullptr, 3},
                                         Row{"return_256", target_return, 256, nullptr, 255},
                                         Row{"return_300", target_return, 300, nullptr, 44},
                                         Row{"return_minus_1", target_return, -1, nullptr, 255},
                                         Row{"exit_7", target_exit, 7, nullptr, 7},
                                         Row{"exit_minus_1", target_exit, -1, nullptr, 255},
                                         Row{"abort", target_die, 0, "abort", -6},
                                         Row{"access_violation", target_die, 0, "segv", -11},
                                         Row{"division_by_zero", target_die, 0, "fpe", -8},
                                         Row{"illegal_instruction", target_die, 0, "ill", -4},
                                         Row{"stack_overflow", target_die, 0, "stack", -11},
                                         Row{"raise_interrupt", target_die, 0, "raise 2", -2},
                                         Row{"raise_terminate", target_die, 0, "raise 15", -15}),
                         [](const testing::TestParamInfo<Row> &it) { return it.param.name; });

TEST(Process, TellsWhetherItIsADaemon)
{
    spork_process_options o = {};
    o.target = target_sleep;
    Child plain(spork_process_new_with(&o));
    o.daemon = true;
    Child daemon(spork_process_new_with(&o));
    EXPECT_FALSE(spork_process_is_daemon(plain.get()));
    EXPECT_TRUE(spork_process_is_daemon(daemon.get()));
    EXPECT_FALSE(spork_process_is_daemon(spork_current_process()));
    EXPECT_FALSE(spork_process_is_daemon(nullptr));
    o.target = target_is_daemon;
    EXPECT_EQ(1, Child(spork_process_new_with(&o)).run()) << "it knows that itself";
    o.daemon = false;
    EXPECT_EQ(0, Child(spork_process_new_with(&o)).run());
}

TEST(Process, StartMethodsAreListedTheDefaultFirst)
{
    spork_start_method list[3] = {};
    size_t count = spork_start_methods(list, 3);
    EXPECT_EQ(count, spork_start_methods(nullptr, 0));
#ifdef _WIN32
    ASSERT_EQ(1u, count);
    EXPECT_EQ(SPORK_SPAWN, list[0]);
#else
    ASSERT_EQ(3u, count);
    EXPECT_EQ((std::set<int>{SPORK_FORK, SPORK_SPAWN, SPORK_FORKSERVER}),
              std::set<int>(list, list + 3));
#endif
    spork_start_method one = SPORK_DEFAULT;
    EXPECT_EQ(count, spork_start_methods(&one, 1));
    EXPECT_EQ(list[0], one);
}

TEST(Process, TerminateIsMinus15KillMinus9InterruptMinus2)
{
    struct {
        spork_status (*send)(spork_process *);
        int code;
    } const rows[] = {{spork_process_terminate, -15}, {spork_process_kill, -9}, {spork_process_interrupt, -2}};
    for (const auto &row : rows) {
        Child child(target_sleep, SPORK_NO_ARGS);
        ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
        ASSERT_EQ(SPORK_OK, row.send(child.get())) << spork_error();
        EXPECT_EQ(row.code, child.join());
        EXPECT_EQ(SPORK_OK, row.send(child.get())); // it has ended: nothing to do
        EXPECT_EQ(row.code, spork_process_exitcode(child.get()));
    }
}

// Its handler stays, on Windows too, where raise() would take it away.
TEST(Process, MayBeInterruptedMoreThanOnceIfItHandlesThat)
{
    spork_connection *reader = nullptr, *writer = nullptr;
    ASSERT_EQ(SPORK_OK, spork_pipe(&reader, &writer)) << spork_error();
    Child child(target_count_interrupts, spork_pack(writer, 3));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    for (int i = 0; i <= 3; i++) { // it is ready, and has seen each
        EXPECT_EQ(SPORK_OK, spork_connection_recv_bytes(reader, nullptr, 0, nullptr, kWatchdogMs)) << spork_error();
        if (i < 3) {
            EXPECT_EQ(SPORK_OK, spork_process_interrupt(child.get())) << spork_error();
        }
    }
    EXPECT_EQ(3, child.join());
    spork_connection_free(reader);
    spork_connection_free(writer);
}

#ifdef _WIN32
// One that we may not open: its number may be a service's now.
TEST(Process, WhoseNumberIsThatOfOneThatCannotBeOpenedIsDead)
{
    const int pid = spork_getpid();
    const uint64_t start = spork__os_start_time(pid);
    for (uint64_t off : {0, 1}) {
        spork__fault_arm_kind("OpenProcess", 1, 5 /* ERROR_ACCESS_DENIED */, true);
        bool alive = spork__os_process_alive(pid, start + off);
        spork__fault_arm_kind(nullptr, 0, 0, false);
        EXPECT_EQ(off == 0, alive);
    }
}
#endif

// ---- what a child gets ----

TEST(Process, GetsEveryKindOfValue)
{
    spork_process *p = nullptr;
    ASSERT_TRUE(harness_all_values(&p)); // packed in a function that has returned
    Child child(p);
    EXPECT_EQ(0, child.run());
}

TEST(Process, GetsSixtyFourMebibytes)
{
    const unsigned mib = harness_instrumented() ? 8 : 64; // a sanitizer takes seconds to look at so many
    std::vector<unsigned char> data(mib << 20);
    for (size_t i = 0; i < data.size(); i++) data[i] = static_cast<unsigned char>(i * 7);
    unsigned sum = 0;
    for (unsigned char c : data) sum += c;
    Child child(target_sum, spork_pack(spork_array(data.data(), data.size()), static_cast<int>(sum & 0xFF)));
    std::fill(data.begin(), data.end(), static_cast<unsigned char>(0)); // new has copied
    EXPECT_EQ(0, child.run());
}

TEST(Process, RunsItsOwnRunWithACopyOfItself)
{
    harness_class self = {1.0, 21, "self"};
    spork_process_options o = {};
    o.run = run_self;
    o.self = &self;
    o.self_size = sizeof self;
    Child child(spork_process_new_with(&o));
    self.code = 0;
    EXPECT_EQ(21, child.run());
}

TEST(Process, IsNamedByNumberAndKnowsItsParent)
{
    Pipe pipe;
    Child first(target_sleep, SPORK_NO_ARGS), child(target_identity, spork_pack(harness_give(pipe.writer)));
    int number = 0, next = 0; // 1 and 2 in a program of its own
    ASSERT_EQ(1, sscanf(spork_process_name(first.get()), "Process-%d", &number));
    ASSERT_EQ(1, sscanf(spork_process_name(child.get()), "Process-%d", &next));
    EXPECT_EQ(number + 1, next);
    EXPECT_EQ(0, child.run());
    pipe.close_writer();
    char expected[256];
    snprintf(expected, sizeof expected, "Process-%d %d %d MainProcess %d\n", next, spork_process_pid(child.get()),
             spork_getpid(), spork_getpid());
    EXPECT_EQ(expected, pipe.rest());
    EXPECT_EQ(nullptr, spork_parent_process());
    EXPECT_STREQ("MainProcess", spork_process_name(spork_current_process()));
}

TEST(Process, ChildrenOfChildrenAreNamedAfterThem)
{
    Pipe pipe;
    Child child(target_nested, spork_pack(harness_give(pipe.writer), 3));
    EXPECT_EQ(0, child.run());
    pipe.close_writer();
    std::string all = pipe.rest();
    std::string name = spork_process_name(child.get());
    for (const char *below : {" ", ":1 ", ":1:1 ", ":1:1:1 "})
        EXPECT_NE(std::string::npos, all.find(name + below)) << all;
}

TEST(Process, HasDefaultSignalsWhateverItsParentHas)
{
#ifndef _WIN32
    sigset_t some, before;
    sigemptyset(&some);
    sigaddset(&some, SIGTERM);
    sigaddset(&some, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &some, &before);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGHUP, [](int) {});
#endif
    Child child(target_signals, SPORK_NO_ARGS);
    EXPECT_EQ(0, child.run());
#ifndef _WIN32
    Child sleeper(target_sleep, SPORK_NO_ARGS);
    ASSERT_EQ(SPORK_OK, sleeper.start());
    spork_process_terminate(sleeper.get());
    EXPECT_EQ(-15, sleeper.join());
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
}

TEST(Process, GetsPassedDescriptorsUnderTheSameNumber)
{
    Pipe one, two;
    spork_native pass[] = {harness_end_detach(one.writer),
                           harness_end_detach(two.writer)}; // foreign to Spork from here on
    one.writer = two.writer = nullptr;
    for (int i = 0; i < 2; i++) {
        spork_process_options o = options_for(target_write_native, SPORK_NO_ARGS);
        o.args = spork_pack(pass[i], "through the number");
        o.pass_fds = pass;
        o.pass_fds_count = 2;
        Child child(spork_process_new_with(&o));
        EXPECT_EQ(0, child.run());
    }
    for (spork_native native : pass) spork__os_handle_close(native);
    EXPECT_EQ("through the number", one.rest());
    EXPECT_EQ("through the number", two.rest());
}

#ifndef _WIN32 // there a number is a handle, which nobody chooses
TEST(Process, GetsPassedDescriptorsUnderNumbersThatSporkWouldTakeItself)
{
    harness_program *program = harness_run("low_numbers", "");
    ASSERT_NE(nullptr, program);
    std::string output = harness_output(program);
    EXPECT_EQ(0, harness_wait(program));
    harness_free(program);
    EXPECT_EQ("3 4 5 6 7 8 9 10 11 12 and the child's child\n", output);
}
#endif

TEST(Process, RefusesToPassWhatIsNotOpen)
{
    spork_native pass[] = {7777};
    spork_process_options o = options_for(target_return, SPORK_NO_ARGS);
    o.args = spork_pack(0);
    o.pass_fds = pass;
    o.pass_fds_count = 1;
    Child child(spork_process_new_with(&o));
    EXPECT_EQ(SPORK_INVALID, child.start());
    EXPECT_NE(nullptr, strstr(spork_error(), "7777")) << spork_error();
}

TEST(Process, SeesItsParentsPresentSurroundings)
{
    char directory[] = "/tmp";
    for (int round = 0; round < 2; round++) { // a fork server was started before the second
        Pipe pipe;
        std::string value = "value " + std::to_string(round);
        harness_setenv("HARNESS_VARIABLE", value.c_str());
#ifndef _WIN32
        if (round == 1) {
            ASSERT_EQ(0, chdir(directory));
        }
#endif
        Child child(target_surroundings, spork_pack(harness_give(pipe.writer)));
        EXPECT_EQ(0, child.run());
        pipe.close_writer();
        std::string seen = pipe.rest();
        EXPECT_NE(std::string::npos, seen.find("|" + value)) << seen;
        if (round == 1 && !windows()) {
            EXPECT_EQ(0u, seen.find(directory)) << seen;
        }
    }
    harness_setenv("HARNESS_VARIABLE", nullptr);
}

// ---- objects ----

TEST(Process, UseOfAnObjectThatWasNotPassedIsNotShared)
{
    Pipe passed, kept;
    Child child(target_not_shared, spork_pack(harness_give(passed.writer),
                                              static_cast<uint64_t>(reinterpret_cast<uintptr_t>(kept.writer))));
    if (spork_get_start_method() != SPORK_FORK) GTEST_SKIP() << "only a forked child can see its parent's objects";
    EXPECT_EQ(0, child.run());
    int status = 0;
    ASSERT_EQ(static_cast<long>(sizeof status), harness_read(passed.reader, &status, sizeof status));
    EXPECT_EQ(SPORK_NOT_SHARED, status);
}

TEST(Process, AMovedObjectIsClosedHereOnceTheChildHasIt)
{
    Pipe pipe;
    int before = harness_ends();
    Child child(target_write, spork_pack(spork_move(harness_give(pipe.writer)), "moved"));
    EXPECT_EQ(before, harness_ends()); // not yet
    EXPECT_EQ(0, child.run());
    EXPECT_EQ(before - 1, harness_ends());
    pipe.writer = nullptr;
    EXPECT_EQ("moved", pipe.rest()); // and the end of the file: nobody else holds it
}

TEST(Process, AMovedObjectStaysHereIfTheStartFails)
{
    Pipe pipe;
    int before = harness_ends();
    spork_native pass[] = {7777};
    spork_process_options o = options_for(target_write, spork_pack(spork_move(harness_give(pipe.writer)), "moved"));
    o.pass_fds = pass;
    o.pass_fds_count = 1;
    Child child(spork_process_new_with(&o));
    EXPECT_NE(SPORK_OK, child.start());
    EXPECT_EQ(before, harness_ends());
    EXPECT_TRUE(harness_write(pipe.writer, "x", 1));
}

TEST(Process, APipesEndOfFileArrivesWhenItsOwnChildEndedThoughSiblingsLive)
{
    constexpr int kCount = 6;
    Pipe barrier;
    std::vector<std::unique_ptr<Pipe>> pipes;
    std::vector<std::unique_ptr<Child>> siblings;
    for (int i = 0; i < kCount; i++) pipes.push_back(std::make_unique<Pipe>());
    for (int i = 0; i < kCount; i++) {
        auto args = i == 2 ? spork_pack(spork_move(harness_give(pipes[2]->writer)), "whole")
                           : spork_pack(spork_move(harness_give(pipes[static_cast<size_t>(i)]->writer)),
                                        harness_give(barrier.reader));
        siblings.push_back(std::make_unique<Child>(i == 2 ? target_write : target_hold, args));
        ASSERT_EQ(SPORK_OK, siblings.back()->start()) << spork_error();
        pipes[static_cast<size_t>(i)]->writer = nullptr;
    }
    EXPECT_EQ("whole", pipes[2]->rest()); // returns at the end of the file only
    for (int i = 0; i < kCount; i++)
        if (i != 2) {
            EXPECT_TRUE(spork_process_is_alive(siblings[static_cast<size_t>(i)]->get()));
        }
    barrier.close_writer();
    for (auto &sibling : siblings) EXPECT_EQ(0, sibling->join());
}

TEST(Process, SixteenStartedFromEightThreadsHaveTheDeclaredDescriptorsAndNoOthers)
{
    if (windows())
        GTEST_SKIP() << "Windows has no list of a process' handles; the test of the end of file above stands for it";
    harness_open before;
    harness_look(&before);
    std::set<int> foreign; // the program's own, which a forked child has too
    for (int fd : before.all)
        if (fd > 2 && std::find(before.own, before.own + 8, fd) == before.own + 8) foreign.insert(fd);
    constexpr int kThreads = 8, kEach = 2;
    Pipe barrier;
    std::vector<std::unique_ptr<Pipe>> pipes;
    std::vector<std::unique_ptr<Child>> children(kThreads * kEach);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads * kEach; i++) pipes.push_back(std::make_unique<Pipe>());
    for (int t = 0; t < kThreads; t++)
        threads.emplace_back([&, t] {
            for (int k = 0; k < kEach; k++) {
                auto i = static_cast<size_t>(t * kEach + k);
                children[i] = std::make_unique<Child>(
                    target_descriptors, spork_pack(harness_give(pipes[i]->writer), harness_give(barrier.reader)));
                EXPECT_EQ(SPORK_OK, children[i]->start()) << spork_error();
            }
        });
    for (auto &thread : threads) thread.join();
    if (spork_get_start_method() != SPORK_FORK) foreign.clear();
    for (size_t i = 0; i < children.size(); i++) {
        harness_open now;
        ASSERT_EQ(static_cast<long>(sizeof now), harness_read(pipes[i]->reader, &now, sizeof now));
        int declared = 0, own = 0;
        for (int fd : now.all) {
            if (fd <= 2 || foreign.count(fd) != 0) continue;
            if (std::find(now.own, now.own + 8, fd) != now.own + 8)
                own++;
            else
                declared++;
        }
        EXPECT_EQ(2, declared) << "child " << i;
        EXPECT_LE(own, 4) << "child "
                          << i; // program, table of processes, lifeline, and if relayed the pipe to its server
    }
    barrier.close_writer();
    barrier.close_reader();
    for (auto &child : children) EXPECT_EQ(0, child->join());
}

// ---- states ----

TEST(Process, TellsItsStateBeforeDuringAndAfter)
{
    Pipe barrier, pipe;
    Child child(target_hold, spork_pack(harness_give(pipe.writer), harness_give(barrier.reader)));
    spork_process *p = child.get();
    EXPECT_FALSE(spork_process_is_alive(p));
    EXPECT_EQ(0, spork_process_pid(p));
    EXPECT_EQ(SPORK_RUNNING, spork_process_exitcode(p));
    EXPECT_EQ(-1, spork_process_sentinel(p));
    EXPECT_EQ(SPORK_BAD_STATE, spork_process_outcome(p));
    EXPECT_EQ(SPORK_BAD_STATE, spork_process_join(p, 0));
    EXPECT_EQ(SPORK_BAD_STATE, spork_process_terminate(p));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    EXPECT_TRUE(spork_process_is_alive(p));
    EXPECT_GT(spork_process_pid(p), 0);
    EXPECT_EQ(SPORK_TIMEOUT, spork_process_join(p, 0));
    EXPECT_EQ(SPORK_TIMEOUT, spork_process_join(p, 30));
    EXPECT_EQ(SPORK_TIMEOUT, spork_process_outcome(p));
    EXPECT_EQ(SPORK_BAD_STATE, spork_process_start(p));
    EXPECT_NE(nullptr, strstr(spork_error(), "started before")) << spork_error();
    spork_process *list[4];
    EXPECT_EQ(1u, spork_active_children(list, 4));
    EXPECT_EQ(p, list[0]);
    barrier.close_writer();
    EXPECT_EQ(0, child.join());
    EXPECT_EQ(SPORK_OK, spork_process_join(p, 0)); // again
    EXPECT_FALSE(spork_process_is_alive(p));
    EXPECT_EQ(SPORK_OK, spork_process_outcome(p));
    EXPECT_EQ(0u, spork_active_children(nullptr, 0));
    EXPECT_EQ(SPORK_BAD_STATE, spork_process_start(p)); // a process runs once
}

TEST(Process, OutcomeNamesTheFateAndTheSentenceTellsIt)
{
    Child failed(target_return, spork_pack(3)), crashed(target_die, spork_pack("abort"));
    failed.run();
    EXPECT_EQ(SPORK_FAILED, spork_process_outcome(failed.get()));
    EXPECT_NE(nullptr, strstr(spork_error(), "ended with exit code 3")) << spork_error();
    crashed.run();
    EXPECT_EQ(SPORK_CRASHED, spork_process_outcome(crashed.get()));
    EXPECT_NE(nullptr, strstr(spork_error(), "signal 6")) << spork_error();
}

TEST(Process, NullIsInvalidAndKeepsTheSentence)
{
    EXPECT_EQ(nullptr, spork_process_new(nullptr, SPORK_NO_ARGS));
    std::string sentence = spork_error();
    EXPECT_NE(std::string::npos, sentence.find("target"));
    EXPECT_EQ(SPORK_INVALID, spork_process_start(nullptr));
    EXPECT_EQ(SPORK_INVALID, spork_process_join(nullptr, 0));
    EXPECT_EQ(SPORK_INVALID, spork_process_kill(nullptr));
    EXPECT_EQ(SPORK_INVALID, spork_process_outcome(nullptr));
    EXPECT_FALSE(spork_process_is_alive(nullptr));
    EXPECT_STREQ("", spork_process_name(nullptr));
    EXPECT_EQ(-1, spork_process_sentinel(nullptr));
    spork_process_free(nullptr);
    EXPECT_EQ(sentence, spork_error());
}

TEST(Process, MisuseIsRefusedWithASentence)
{
    EXPECT_EQ(SPORK_BAD_STATE, spork_process_join(spork_current_process(), 0));
    EXPECT_NE(nullptr, strstr(spork_error(), "itself"));
    EXPECT_EQ(SPORK_BAD_STATE, spork_process_kill(spork_current_process()));
    EXPECT_EQ(SPORK_BAD_STATE, spork_at_child_exit([](void *) {}, nullptr)); // this is no child
    EXPECT_EQ(nullptr, spork_process_new_with(static_cast<spork_process_options *>(nullptr)));
    int dummy = 0;
    EXPECT_EQ(nullptr, spork_process_new(target_return, spork_pack(spork_pointer(&dummy))));
    EXPECT_NE(nullptr, strstr(spork_error(), "pointer")) << spork_error();
    EXPECT_EQ(nullptr, spork_process_new(target_return, spork_pack(static_cast<const char *>(nullptr))));
    EXPECT_EQ(SPORK_NOT_FOUND, spork_set_executable("/no/such/program"));
#ifndef _WIN32 // there no such path names a file
    std::string far = "/";
    while (far.size() < 1100) far += "./";
    far += "bin/sh";
    EXPECT_EQ(SPORK_TOO_LARGE, spork_set_executable(far.c_str()));
#endif
    EXPECT_EQ(SPORK_INVALID, harness_set_start_method(9));
    spork_process_options o = options_for(target_return, SPORK_NO_ARGS);
    o.run = run_self;
    EXPECT_EQ(nullptr, spork_process_new_with(&o));
    EXPECT_NE(nullptr, strstr(spork_error(), "exclude")) << spork_error();
    spork_process_options half = options_for(target_return, SPORK_NO_ARGS);
    half.self_size = sizeof dummy;
    EXPECT_EQ(nullptr, spork_process_new_with(&half));
    EXPECT_NE(nullptr, strstr(spork_error(), "both the struct and run")) << spork_error();
    spork_process_options few = options_for(target_return, SPORK_NO_ARGS);
    few.max_files = 7;
    EXPECT_EQ(nullptr, spork_process_new_with(&few));
    EXPECT_NE(nullptr, strstr(spork_error(), "max_files")) << spork_error();
}

TEST(Process, OlderProgramsOptionsAreShorter)
{
    spork_process_options o = options_for(target_return, SPORK_NO_ARGS);
    o.args = spork_pack(9);
    o.name = "not read";
    Child child(spork__process_new(&o, offsetof(spork_process_options, name)));
    EXPECT_NE(std::string("not read"), spork_process_name(child.get()));
    EXPECT_EQ(9, child.run());
}

TEST(Process, MethodsThatTheSystemLacksAreUnsupported)
{
    for (spork_start_method method : {SPORK_FORK, SPORK_FORKSERVER}) {
        spork_process_options o = options_for(target_return, SPORK_NO_ARGS);
        o.args = spork_pack(4);
        o.method = method;
        spork_process *p = spork_process_new_with(&o);
        EXPECT_EQ(!windows(), p != nullptr);
        if (windows()) {
            EXPECT_EQ(SPORK_UNSUPPORTED, spork_last_status());
            EXPECT_EQ(SPORK_UNSUPPORTED, spork_set_start_method(method));
        }
        Child child(p);
        if (p != nullptr) {
            EXPECT_EQ(4, child.run());
        }
    }
    EXPECT_EQ(SPORK_OK, spork_set_start_method(SPORK_SPAWN));
    EXPECT_EQ(SPORK_SPAWN, spork_get_start_method());
    EXPECT_EQ(SPORK_OK, spork_set_start_method(SPORK_DEFAULT));
    EXPECT_NE(SPORK_DEFAULT, spork_get_start_method());
}

TEST(Process, ManyThreadsMayJoinTheSameChildren)
{
    int count = harness_count(100);
    std::vector<std::unique_ptr<Child>> children;
    for (int i = 0; i < count; i++) {
        children.push_back(std::make_unique<Child>(target_return, spork_pack(i & 0x7F)));
        ASSERT_EQ(SPORK_OK, children.back()->start()) << spork_error();
    }
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; t++)
        threads.emplace_back([&] {
            for (int i = 0; i < count; i++) {
                spork_process *p = children[static_cast<size_t>(i)]->get();
                if (spork_process_join(p, kWatchdogMs) != SPORK_OK || spork_process_exitcode(p) != (i & 0x7F)) wrong++;
            }
        });
    for (auto &thread : threads) thread.join();
    EXPECT_EQ(0, wrong);
}

// ---- limits ----

// A process with one limit; NULL where the system cannot enforce it, and then it has said so.
spork_process *limited(spork_process_options o, uint64_t memory, uint64_t cpu_ms, unsigned files)
{
    o.max_memory = memory;
    o.max_cpu_ms = cpu_ms;
    o.max_files = files;
    spork_process *p = spork_process_new_with(&o);
    if (p == nullptr) {
        EXPECT_EQ(SPORK_UNSUPPORTED, spork_last_status());
        EXPECT_NE(nullptr, strstr(spork_error(), "max_")) << spork_error();
    }
    return p;
}

TEST(Process, OverItsMemoryLimitIsTold)
{
    if (harness_instrumented()) GTEST_SKIP() << "a sanitizer's own memory is far above the limit";
    spork_process_options o = options_for(target_memory, spork_pack(static_cast<uint64_t>(128) << 20));
    Child child(limited(o, static_cast<uint64_t>(64) << 20, 0, 0));
    if (child.get() == nullptr) GTEST_SKIP() << "this system does not limit memory: " << spork_error();
    EXPECT_EQ(1, child.run());
    EXPECT_EQ(SPORK_OVER_LIMIT, spork_process_outcome(child.get())) << spork_error();
    EXPECT_NE(nullptr, strstr(spork_error(), "memory")) << spork_error();
}

TEST(Process, WhatNobodyTouchedDoesNotCountAgainstItsMemoryLimit)
{
    if (harness_instrumented()) GTEST_SKIP() << "a sanitizer's own memory is far above the limit";
    for (uint64_t mib : {16u, 128u}) {
        void *ours = malloc(56 << 20); // as a pool of threads leaves its stacks
        ASSERT_NE(nullptr, ours);
        spork_process_options o = options_for(target_memory, spork_pack(mib << 20));
        Child child(limited(o, static_cast<uint64_t>(64) << 20, 0, 0));
        if (child.get() != nullptr) {
            EXPECT_EQ(mib > 64 ? 1 : 0, child.run());
            EXPECT_EQ(mib > 64 ? SPORK_OVER_LIMIT : SPORK_OK, spork_process_outcome(child.get())) << spork_error();
        }
        free(ours);
        if (child.get() == nullptr) GTEST_SKIP() << "this system does not limit memory: " << spork_error();
    }
}

TEST(Process, WithinItsMemoryLimitNothingHappens)
{
    if (harness_instrumented()) GTEST_SKIP() << "a sanitizer's own memory is far above the limit";
    spork_process_options o = options_for(target_memory, spork_pack(static_cast<uint64_t>(16) << 20));
    Child child(limited(o, static_cast<uint64_t>(64) << 20, 0, 0));
    if (child.get() == nullptr) GTEST_SKIP() << "this system does not limit memory: " << spork_error();
    EXPECT_EQ(0, child.run());
    EXPECT_EQ(SPORK_OK, spork_process_outcome(child.get()));
}

TEST(Process, OverItsCpuLimitItDies)
{
    Child child(limited(options_for(target_spin, SPORK_NO_ARGS), 0, 1000, 0));
    if (child.get() == nullptr) GTEST_SKIP() << "this system does not limit CPU time: " << spork_error();
    EXPECT_EQ(-24, child.run());
    EXPECT_EQ(SPORK_OVER_LIMIT, spork_process_outcome(child.get())) << spork_error();
}

TEST(Process, WithThirtyTwoFilesTheThirtyThirdOpenFails)
{
    if (harness_instrumented()) GTEST_SKIP() << "a leak checker opens files of its own at the child's end";
    Pipe pipe;
    Child child(limited(options_for(target_files, spork_pack(harness_give(pipe.writer))), 0, 0, 32));
    if (child.get() == nullptr) GTEST_SKIP() << "this system does not limit files: " << spork_error();
    EXPECT_EQ(0, child.run());
    int open = 0;
    ASSERT_EQ(static_cast<long>(sizeof open), harness_read(pipe.reader, &open, sizeof open));
    EXPECT_EQ(32, open);
}

// ---- foreign forks ----

#ifndef _WIN32
TEST(Process, BelongsToTheProcessThatMadeIt)
{
    Child child(target_sleep, SPORK_NO_ARGS);
    ASSERT_EQ(SPORK_OK, child.start());
    int pid = spork_fork();
    if (pid == 0) {
        bool good = spork_process_join(child.get(), 0) == SPORK_NOT_YOURS &&
                    spork_process_kill(child.get()) == SPORK_NOT_YOURS && !spork_process_is_alive(child.get()) &&
                    spork_active_children(nullptr, 0) == 0;
        spork_process_free(child.get());
        spork_shutdown(); // must not end the parent's children
        _exit(good ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(pid, waitpid(pid, &status, 0));
    EXPECT_EQ(0, status);
    EXPECT_TRUE(spork_process_is_alive(child.get()));
}

// A process that nobody has reaped yet is dead for all who ask, with and without a pidfd (the preset portable has none): else they
// would wait for it as long as its parent waits for them.
TEST(Process, IsDeadForOthersBeforeItIsReaped)
{
    int pid = spork_fork();
    ASSERT_GE(pid, 0) << spork_error();
    if (pid == 0) _exit(0);
    uint64_t start = spork__os_start_time(pid);
    siginfo_t info;
    ASSERT_EQ(0, waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT));
    EXPECT_FALSE(spork__os_process_alive(pid, start));
    EXPECT_FALSE(spork__os_process_alive(pid, 0));
    ASSERT_EQ(pid, waitpid(pid, nullptr, 0));
    EXPECT_FALSE(spork__os_process_alive(pid, start));
}

#ifdef __linux__
// Threads and processes have their numbers from the same store.
TEST(Process, WhoseNumberIsAThreadsNowIsDead)
{
    std::atomic<int> number{0};
    std::atomic<bool> over{false};
    std::thread thread([&] {
        number = static_cast<int>(syscall(SYS_gettid));
        while (!over) spork_sleep(1);
    });
    while (number == 0) spork_sleep(1);
    uint64_t known = spork__os_start_time(getpid());
    EXPECT_TRUE(spork__os_process_alive(getpid(), known));
    EXPECT_FALSE(spork__os_process_alive(number, known + 1)) << "that of another process";
    over = true;
    thread.join();
}

TEST(Process, WhoseMainThreadHasEndedIsAlive)
{
    int pid = spork_fork();
    ASSERT_GE(pid, 0) << spork_error();
    if (pid == 0) { // its other thread lives until it is killed
        pthread_t thread;
        pthread_create(&thread, nullptr, [](void *) -> void * { for (;;) pause(); }, nullptr);
        syscall(SYS_exit, 0);
    }
    uint64_t start = spork__os_start_time(pid);
    std::string path = "/proc/" + std::to_string(pid) + "/stat";
    auto led_by_a_zombie = [](void *name) {
        std::ifstream file(static_cast<const char *>(name));
        std::string line;
        std::getline(file, line);
        return line.find(") Z ") != std::string::npos;
    };
    EXPECT_TRUE(harness_until(led_by_a_zombie, const_cast<char *>(path.c_str())));
    EXPECT_TRUE(spork__os_process_alive(pid, start));
    EXPECT_EQ(0, kill(pid, SIGKILL));
    EXPECT_EQ(pid, waitpid(pid, nullptr, 0));
}
#endif

TEST(Process, APlainForkOfAChildMayStartProcessesItself)
{
    Child child(target_foreign_fork, SPORK_NO_ARGS);
    EXPECT_EQ(0, child.run());
}

// Whether this system tells how a process ended that somebody else has reaped (PIDFD_GET_INFO of
// Linux 6.15).
bool told_to_anyone()
{
#if defined(__linux__) && defined(SYS_pidfd_open) && !SPORK_PORTABLE_POSIX
    struct {
        uint64_t mask, cgroup;
        uint32_t ids[11];
        int32_t exit_code;
    } info = {8, 0, {}, 0};
    int pid = fork();
    if (pid == 0) _exit(3);
    int handle = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    waitpid(pid, nullptr, 0);
    bool tells =
        handle >= 0 && ioctl(handle, _IOWR(0xFF, 11, info), &info) == 0 && (info.mask & 8) != 0;
    if (handle >= 0) close(handle);
    return tells;
#else
    return false;
#endif
}

TEST(Process, ReapedByTheHostItsExitCodeIsUnknownOrRightAndNothingHangs)
{
    Child child(target_return, spork_pack(3));
    ASSERT_EQ(SPORK_OK, child.start());
    struct Host { // reaps whatever ends, until it got ours or sees that it cannot
        int pid;
        bool got;
    } host = {spork_process_pid(child.get()), false};
    harness_until(
        [](void *user) {
            auto *h = static_cast<Host *>(user);
            int status = 0, pid = waitpid(-1, &status, WNOHANG);
            h->got = h->got || pid == h->pid;
            return h->got || !harness_pid_exists(h->pid);
        },
        &host);
    int code = child.join();
    if (host.got && !told_to_anyone()) {
        EXPECT_EQ(SPORK_EXIT_UNKNOWN, code);
    } else {
        EXPECT_EQ(3, code);
    } // relayed: it is not our child, and nobody can take it away; or the system tells all the same
}

#ifdef __linux__
// Who relays is killed: the child goes on, can be signalled, and its end is told where the system
// tells it.
TEST(Process, OfAKilledRelayGoesOnAndIsNotLost)
{
    if (spork_get_start_method() != SPORK_FORKSERVER) GTEST_SKIP() << "there is no fork server";
    harness_setenv("SPORK_FORKSERVER", "relay");
    Pipe pipe, barrier;
    Child holds(target_hold, spork_pack(harness_give(pipe.writer), harness_give(barrier.reader)));
    Child sleeps(target_sleep, SPORK_NO_ARGS);
    ASSERT_EQ(SPORK_OK, holds.start()) << spork_error();
    ASSERT_EQ(SPORK_OK, sleeps.start()) << spork_error();
    ASSERT_EQ(0, kill(spork__os_forkserver_pid(), SIGKILL));
    EXPECT_TRUE(spork_process_is_alive(holds.get()));
#if !SPORK_PORTABLE_POSIX
    EXPECT_EQ(SPORK_OK, spork_process_terminate(sleeps.get())) << spork_error();
#else
    EXPECT_EQ(SPORK_OK, spork_process_kill(sleeps.get())) << spork_error();
#endif
    barrier.close_writer();
    for (auto [child, right] : {std::pair{&holds, 0}, std::pair{&sleeps, -15}}) {
        int pid = spork_process_pid(child->get()), code = child->join();
        if (code == SPORK_EXIT_UNKNOWN)
            EXPECT_TRUE(!told_to_anyone() || kill(pid, 0) == 0) << "somebody has reaped it";
        else
            EXPECT_EQ(right, code);
    }
    harness_setenv("SPORK_FORKSERVER", nullptr);
}
#endif

TEST(Process, WithIgnoredSigchldNothingHangs)
{
    signal(SIGCHLD, SIG_IGN);
    Pipe pipe, barrier;
    Child child(target_hold, spork_pack(harness_give(pipe.writer), harness_give(barrier.reader)));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    EXPECT_TRUE(spork_process_is_alive(child.get()));
    barrier.close_writer();
    int code = child.join();
    EXPECT_TRUE(code == 0 || (code == SPORK_EXIT_UNKNOWN && !told_to_anyone())) << code;
    EXPECT_FALSE(spork_process_is_alive(child.get()));
    signal(SIGCHLD, SIG_DFL);
}
#endif

} // namespace
