// The ground: statuses and the error sentence, logging, version, time, CPUs and the plain fork. The C side is in
// harness/basics.c; programs of their own are in harness/scenarios_base.c.
#include <gtest/gtest.h>
#include <spork/spork.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base.h"
#include "budget.h"
#include "error.h"
#include "harness/basics.h"
#include "log.h"

extern "C" uint64_t spork__memory_available(const char *root); // POSIX: src/posix/memory.c

namespace {

bool matches(const std::string &text, const char *pattern) { return basics_like(text.c_str(), pattern); }

// The output of a scenario, and how it ended.
struct Outcome {
    std::string output;
    int exitcode;
};
Outcome outcome_of(const char *scenario, const char *argument)
{
    harness_program *program = harness_run(scenario, argument);
    Outcome result = {harness_output(program), 0};
    result.exitcode = harness_wait(program);
    harness_free(program);
    return result;
}

// What a child saw of itself. `start` runs it, with the writing end of a pipe.
template <class Start> basics_sight sight_of(Start start)
{
    basics_sight sight = {};
    harness_end *reader = nullptr, *writer = nullptr;
    EXPECT_TRUE(harness_pipe(&reader, &writer));
    start(writer);
    harness_end_free(writer);
    EXPECT_EQ(static_cast<long>(sizeof sight), harness_read(reader, &sight, sizeof sight));
    harness_end_free(reader);
    return sight;
}

int exitcode_of(spork_target target)
{
    spork_process *p = spork_process_new(target, SPORK_NO_ARGS);
    EXPECT_EQ(SPORK_OK, spork_process_start(p)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_process_join(p, kWatchdogMs));
    int code = spork_process_exitcode(p);
    spork_process_free(p);
    return code;
}

#define POSIX_ONLY()                                                                                                   \
    if (!has_fork()) GTEST_SKIP() << "this system has no fork, which this is about"
bool has_fork()
{
    spork_status status = spork_set_start_method(SPORK_FORK);
    spork_set_start_method(SPORK_DEFAULT);
    return status == SPORK_OK;
}

// ---- statuses --------------------------------------------------------------------------------------------------------

struct Status {
    spork_status status;
    int value;
    const char *name;
};
// clang-format off
const Status statuses[] = {
#define STATUS(name, value) {name, value, #name}
    STATUS(SPORK_OK, 0),         STATUS(SPORK_TIMEOUT, 1),      STATUS(SPORK_CLOSED, 2),       STATUS(SPORK_INVALID, 3),
    STATUS(SPORK_BAD_STATE, 4),  STATUS(SPORK_NOT_SHARED, 5),   STATUS(SPORK_UNSUPPORTED, 6),  STATUS(SPORK_NO_MEMORY, 7),
    STATUS(SPORK_NO_SPACE, 8),   STATUS(SPORK_TOO_SMALL, 9),    STATUS(SPORK_TOO_LARGE, 10),   STATUS(SPORK_BAD_MESSAGE, 11),
    STATUS(SPORK_NOT_OWNER, 12), STATUS(SPORK_OWNER_DIED, 13),  STATUS(SPORK_BROKEN, 14),      STATUS(SPORK_EXISTS, 15),
    STATUS(SPORK_NOT_FOUND, 16), STATUS(SPORK_DENIED, 17),      STATUS(SPORK_OS_ERROR, 18),    STATUS(SPORK_INTERNAL, 19),
    STATUS(SPORK_READY, 20),     STATUS(SPORK_NOT_YOURS, 21),   STATUS(SPORK_FAILED, 32),      STATUS(SPORK_CRASHED, 33),
    STATUS(SPORK_DEADLINE, 34),  STATUS(SPORK_OVER_LIMIT, 35),  STATUS(SPORK_CANCELLED, 36),
#undef STATUS
};
// clang-format on

TEST(Status, ValuesAreFixedForever)
{
    for (const Status &s : statuses) EXPECT_EQ(s.value, s.status) << s.name;
}

TEST(Status, NamesAreThoseOfTheHeader)
{
    for (const Status &s : statuses) EXPECT_STREQ(s.name, spork_status_name(s.status));
}

TEST(Status, EveryNumberWithANameIsInThisList)
{
    std::set<int> known;
    for (const Status &s : statuses) known.insert(s.value);
    for (int n = -10; n < 1000; n++)
        EXPECT_EQ(known.count(n) == 0, std::string("SPORK_?") == basics_status_name(n)) << n;
    for (int n : {INT32_MIN, INT32_MAX}) EXPECT_STREQ("SPORK_?", basics_status_name(n));
}

TEST(Status, TheWorksFatesBeginAt32)
{
    for (spork_status s : {SPORK_FAILED, SPORK_CRASHED, SPORK_DEADLINE, SPORK_OVER_LIMIT, SPORK_CANCELLED})
        EXPECT_GE(s, 32);
    for (const Status &s : statuses) EXPECT_TRUE(s.value <= 21 || s.value >= 32) << s.name;
}

// ---- the error sentence ----------------------------------------------------------------------------------------------

TEST(Error, AFreshThreadHasNone)
{
    EXPECT_EQ(SPORK_INVALID, basics_wrong_method(77));
    std::thread([] {
        EXPECT_STREQ("", spork_error());
        EXPECT_EQ(SPORK_OK, spork_last_status());
        EXPECT_EQ(0, spork_last_os_error());
    }).join();
}

TEST(Error, TwoThreadsDoNotDisturbEachOther)
{
    auto fail_often = [](int number) {
        std::string own = "spork_set_start_method: " + std::to_string(number) + " is no start method";
        for (int i = 0; i < 2000; i++) {
            ASSERT_EQ(SPORK_INVALID, basics_wrong_method(number));
            std::this_thread::yield();
            ASSERT_EQ(own, spork_error());
        }
    };
    std::thread other(fail_often, 78);
    fail_often(79);
    other.join();
}

TEST(Error, ASentenceTellsWhatFailedAndOnWhat)
{
    EXPECT_EQ(nullptr, spork_process_new(nullptr, SPORK_NO_ARGS));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    EXPECT_TRUE(matches(spork_error(), "spork_process_new*target")) << spork_error();
}

TEST(Error, ANullObjectKeepsTheEarlierSentence)
{
    ASSERT_EQ(nullptr, spork_process_new(nullptr, SPORK_NO_ARGS));
    std::string before = spork_error();
    EXPECT_EQ(SPORK_INVALID, spork_process_start(nullptr));
    EXPECT_EQ(SPORK_INVALID, spork_process_join(nullptr, 0));
    EXPECT_EQ(SPORK_INVALID, spork_process_terminate(nullptr));
    EXPECT_EQ(SPORK_INVALID, spork_process_kill(nullptr));
    EXPECT_EQ(SPORK_INVALID, spork_process_interrupt(nullptr));
    EXPECT_EQ(SPORK_INVALID, spork_process_outcome(nullptr));
    EXPECT_EQ(before, spork_error());
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
}

TEST(Error, ANullObjectAnswersAllQuestions)
{
    EXPECT_FALSE(spork_process_is_alive(nullptr));
    EXPECT_EQ(SPORK_RUNNING, spork_process_exitcode(nullptr));
    EXPECT_EQ(0, spork_process_pid(nullptr));
    EXPECT_STREQ("", spork_process_name(nullptr));
    EXPECT_EQ(-1, spork_process_sentinel(nullptr));
    spork_process_free(nullptr);
}

TEST(Error, CallsThatSucceedLeaveItAlone)
{
    EXPECT_EQ(SPORK_INVALID, basics_wrong_method(77));
    std::string before = spork_error();
    EXPECT_EQ(0, exitcode_of(basics_nothing)); // made, started, joined, freed
    char why[200];
    spork_cpu_count_why(why, sizeof why);
    spork_sleep(1);
    EXPECT_EQ(SPORK_OK, spork_set_start_method(SPORK_DEFAULT));
    EXPECT_EQ(SPORK_OK, spork_init(0, nullptr));
    EXPECT_EQ(before, spork_error());
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
}

TEST(Error, ASystemsCodeIsKeptBesideItsText)
{
    char text[256];
#ifdef _WIN32
    const int not_found = 2, no_memory = 8, denied = 5, unknown = 87; // ERROR_FILE_NOT_FOUND …
#else
    const int not_found = ENOENT, no_memory = ENOMEM, denied = EACCES, unknown = EDOM;
#endif
    EXPECT_EQ(SPORK_NOT_FOUND, spork__fail_os(not_found, "opening %s", "x.txt"));
    EXPECT_EQ(std::string("opening x.txt: ") + spork__os_error_text(not_found, text, sizeof text), spork_error());
    EXPECT_EQ(not_found, spork_last_os_error());
    EXPECT_EQ(SPORK_NO_MEMORY, spork__fail_os(no_memory, "x"));
    EXPECT_EQ(SPORK_DENIED, spork__fail_os(denied, "x"));
    EXPECT_EQ(SPORK_OS_ERROR, spork__fail_os(unknown, "x"));
    EXPECT_EQ(unknown, spork_last_os_error());
    EXPECT_EQ(SPORK_CLOSED, spork__fail(SPORK_CLOSED, "x"));
    EXPECT_EQ(0, spork_last_os_error());
}

TEST(Error, WordsBeforeItKeepTheRest)
{
    spork__fail_os(2, "opening");
    std::string inner = spork_error();
    EXPECT_EQ(SPORK_NOT_FOUND, spork__fail_in(SPORK_NOT_FOUND, "spork_x(%s)", "name"));
    EXPECT_EQ("spork_x(name): " + inner, spork_error());
    EXPECT_EQ(2, spork_last_os_error());
}

TEST(Error, ItMayBeAnArgumentOfItsSuccessor)
{
    spork__fail(SPORK_INVALID, "first");
    spork__fail(SPORK_CLOSED, "second after %s, %s", spork_error(), spork_error());
    EXPECT_STREQ("second after first, first", spork_error());
}

TEST(Error, LongSentencesAreCutNotSpilled)
{
    std::string text(5000, 'x');
    spork__fail(SPORK_INVALID, "%s", text.c_str());
    EXPECT_EQ(text.substr(0, std::strlen(spork_error())), spork_error());
    EXPECT_GE(std::strlen(spork_error()), 500u);
    size_t most = std::strlen(spork_error());
    for (size_t length = most - 10; length <= most + 10; length++) { // where head and tail meet at the end
        text.assign(length, 'y');
        spork__fail_os(2, "%s", text.c_str());
        EXPECT_LE(std::strlen(spork_error()), most);
        EXPECT_EQ(0, std::strncmp(spork_error(), text.c_str(), std::min(length, most)));
        spork__fail_in(SPORK_INVALID, "%s", text.c_str());
        EXPECT_LE(std::strlen(spork_error()), most);
    }
}

TEST(Must, EndsTheProgramWith70AndSaysWhereAndWhy)
{
    Outcome r = outcome_of("must", "fail");
    EXPECT_EQ(70, r.exitcode);
    EXPECT_EQ(0u, r.output.find("before\n"));
    EXPECT_TRUE(matches(r.output, "scenarios_base.c:*: SPORK_INVALID: spork_set_start_method: 77 is no start method\n"))
        << r.output;
    EXPECT_FALSE(matches(r.output, "after"));
}

TEST(Must, LetsTheProgramGoOnIfAllIsWell)
{
    Outcome r = outcome_of("must", "go on");
    EXPECT_EQ(0, r.exitcode);
    EXPECT_EQ("before\nafter\n", r.output);
}

// ---- logging ---------------------------------------------------------------------------------------------------------

// The lines of a program that writes one of each level, for a value of SPORK_LOG.
std::string logged(const char *wish, const char *argument, int *pid = nullptr)
{
    const char *now = std::getenv("SPORK_LOG");
    std::string before = now != nullptr ? now : "";
    basics_setenv("SPORK_LOG", wish);
    harness_program *program = harness_run("log", argument);
    basics_setenv("SPORK_LOG", before.empty() ? nullptr : before.c_str());
    if (pid != nullptr) *pid = harness_pid(program);
    std::string output = harness_output(program);
    EXPECT_EQ(0, harness_wait(program));
    harness_free(program);
    return output;
}

int lines(const std::string &text) { return static_cast<int>(std::count(text.begin(), text.end(), '\n')); }

TEST(Log, LinesNameLevelProcessAndPid)
{
    int pid = 0;
    std::string output = logged("debug", "", &pid), head = " MainProcess " + std::to_string(pid) + "] ";
    EXPECT_EQ("[spork error" + head + "an error\n[spork warning" + head + "a warning\n[spork info" + head +
                  "an info\n[spork debug" + head + "a debug\n",
              output);
}

TEST(Log, TheEnvironmentSetsTheLevel)
{
    EXPECT_EQ(0, lines(logged("off", "")));
    EXPECT_EQ(1, lines(logged("error", "")));
    EXPECT_EQ(2, lines(logged("warning", "")));
    EXPECT_EQ(3, lines(logged("info", "")));
}

TEST(Log, WarningsAreTheDefaultAlsoForAWrongWord)
{
    EXPECT_EQ(2, lines(logged(nullptr, "")));
    EXPECT_EQ(2, lines(logged("loud", "")));
}

TEST(Log, AChildsLinesCarryItsName)
{
    std::string output = logged("error", "child");
    EXPECT_TRUE(matches(output, "[spork error Process-1 *] an error\n")) << output;
}

TEST(Log, TellsOfATargetThatMadeAMistakeAndReturnedWithoutAWord)
{
    std::string output = outcome_of("mistaken", "text").output;
    EXPECT_TRUE(matches(output, "[spork warning Process-1 *] the target returned 1; the last error in it was: spork_unpack: argument 1*\n"
                                "exit code 1\n"))
        << output;
    EXPECT_EQ("exit code 7\n", outcome_of("mistaken", "7").output); // no mistake: a number as any other
}

TEST(Log, TellsOfAStartMethodInTheEnvironmentThatIsNone)
{
    const char *before = getenv("SPORK_START_METHOD");
    std::string kept = before != nullptr ? before : "";
    harness_setenv("SPORK_START_METHOD", "spwan");
    std::string output = outcome_of("mistaken", "7").output;
    harness_setenv("SPORK_START_METHOD", before != nullptr ? kept.c_str() : nullptr);
    EXPECT_TRUE(matches(output, "[spork warning MainProcess *] SPORK_START_METHOD=spwan: this system has no such start method*\nexit code 7\n"))
        << output;
}

TEST(Log, TellsOfStartsAndEndsToThoseWhoAsk)
{
    harness_setenv("SPORK_LOG", "info");
    std::string output = outcome_of("mistaken", "7").output;
    harness_setenv("SPORK_LOG", nullptr);
    EXPECT_NE(std::string::npos, output.find("] Process-1 was started, pid ")) << output;
    EXPECT_NE(std::string::npos, output.find("] the target returned 7\n")) << output;
}

struct Line {
    spork_log_level level;
    std::string process, text;
    int pid;
};
void keep_line(spork_log_level level, const char *process, int pid, const char *text, void *user)
{
    static_cast<std::vector<Line> *>(user)->push_back({level, process, text, pid});
}

TEST(Log, ACallbackReceivesTheLinesUpToItsLevel)
{
    std::vector<Line> kept;
    spork_set_log(SPORK_LOG_INFO, keep_line, &kept);
    basics_log_all();
    spork_set_log(static_cast<spork_log_level>(0), nullptr, nullptr);
    ASSERT_EQ(3u, kept.size());
    EXPECT_EQ(SPORK_LOG_ERROR, kept[0].level);
    EXPECT_EQ("an error", kept[0].text);
    EXPECT_EQ(SPORK_LOG_INFO, kept[2].level);
    EXPECT_EQ("an info", kept[2].text);
    for (const Line &line : kept) {
        EXPECT_EQ("MainProcess", line.process);
        EXPECT_EQ(spork_getpid(), line.pid);
    }
}

TEST(Log, LevelZeroTakesTheEnvironments)
{
    std::vector<Line> kept;
    const char *now = std::getenv("SPORK_LOG");
    std::string before = now != nullptr ? now : "";
    basics_setenv("SPORK_LOG", "error");
    spork_set_log(static_cast<spork_log_level>(0), keep_line, &kept);
    basics_log_all();
    basics_setenv("SPORK_LOG", before.empty() ? nullptr : before.c_str());
    spork_set_log(static_cast<spork_log_level>(0), nullptr, nullptr);
    EXPECT_EQ(1u, kept.size());
}

TEST(Log, AForkedChildInheritsTheCallback)
{
    POSIX_ONLY();
    basics_lines = 0;
    spork_set_log(SPORK_LOG_INFO, basics_count_lines, const_cast<char *>("Talker"));
    spork_process_options options{};
    options.target = basics_log_counted;
    options.method = SPORK_FORK;
    options.name = "Talker";
    spork_process *p = spork_process_new_with(&options);
    EXPECT_EQ(SPORK_OK, spork_process_start(p)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_process_join(p, kWatchdogMs));
    spork_set_log(static_cast<spork_log_level>(0), nullptr, nullptr);
    EXPECT_EQ(3, spork_process_exitcode(p));
    EXPECT_EQ(0, basics_lines);
    spork_process_free(p);
}

// ---- version ---------------------------------------------------------------------------------------------------------

TEST(Version, TheLibraryIsTheOneOfItsHeaders)
{
    EXPECT_EQ(std::to_string(SPORK_VERSION_MAJOR) + "." + std::to_string(SPORK_VERSION_MINOR) + "." +
                  std::to_string(SPORK_VERSION_PATCH),
              spork_version());
    EXPECT_EQ(SPORK_VERSION_NUMBER, spork_version_number());
    EXPECT_EQ(SPORK_VERSION_MAJOR * 10000 + SPORK_VERSION_MINOR * 100 + SPORK_VERSION_PATCH, spork_version_number());
}

TEST(Version, InitRefusesHeadersOfAnotherMajorVersion)
{
    Outcome r = outcome_of("versions", std::to_string((SPORK_VERSION_MAJOR + 1) * 10000 + 203).c_str());
    EXPECT_EQ("SPORK_UNSUPPORTED spork_init: the program was compiled for version " +
                  std::to_string(SPORK_VERSION_MAJOR + 1) + ".2 of Spork, and the library is " + spork_version() +
                  ": compile it anew, or install the version that it wants\n",
              r.output);
}

TEST(Version, InitTakesHeadersOfAnotherPatch)
{
    EXPECT_EQ("SPORK_OK \n", outcome_of("versions", std::to_string(SPORK_VERSION_NUMBER / 100 * 100 + 99).c_str()).output);
}

TEST(Version, BelowOneOnlyTheSameMinorVersionFits)
{
    EXPECT_TRUE(spork__version_fits(100, 100));
    EXPECT_TRUE(spork__version_fits(100, 107));
    EXPECT_TRUE(spork__version_fits(107, 100));
    EXPECT_FALSE(spork__version_fits(100, 200));
    EXPECT_FALSE(spork__version_fits(200, 100));
    EXPECT_FALSE(spork__version_fits(100, 10100));
}

TEST(Version, FromOneOnProgramsRunWithLaterMinorVersionsButNotWithEarlierOnes)
{
    EXPECT_TRUE(spork__version_fits(10203, 10203));
    EXPECT_TRUE(spork__version_fits(10203, 10900));
    EXPECT_FALSE(spork__version_fits(10900, 10203));
    EXPECT_FALSE(spork__version_fits(10203, 20203));
    EXPECT_FALSE(spork__version_fits(20203, 10203));
    EXPECT_FALSE(spork__version_fits(-1, 100));
}

// ---- time ------------------------------------------------------------------------------------------------------------

TEST(Time, OnlyGoesForward)
{
    double before = spork_time();
    for (int i = 0; i < 100000; i++) {
        double now = spork_time();
        ASSERT_GE(now, before);
        before = now;
    }
}

TEST(Time, CountsSeconds)
{
    auto begin = std::chrono::steady_clock::now();
    double time = spork_time();
    spork_sleep(50);
    double took = spork_time() - time;
    std::chrono::duration<double> outside = std::chrono::steady_clock::now() - begin;
    EXPECT_GE(took, 0.05);
    EXPECT_LE(took, outside.count() + 0.001);
}

TEST(Time, IsAlikeInAllProcesses)
{
    double before = spork_time();
    basics_sight child = sight_of([](harness_end *writer) {
        spork_process *p = spork_process_new(basics_look, spork_pack(harness_give(writer)));
        EXPECT_EQ(SPORK_OK, spork_process_start(p)) << spork_error();
        EXPECT_EQ(SPORK_OK, spork_process_join(p, kWatchdogMs));
        spork_process_free(p);
    });
    EXPECT_GT(child.time, before);
    EXPECT_LT(child.time, spork_time());
}

TEST(Sleep, LastsAtLeastThatLong)
{
    for (int ms : {0, 1, 2, 10, 33}) {
        double begin = spork_time();
        spork_sleep(ms);
        EXPECT_GE(spork_time() - begin, ms / 1000.0) << ms;
    }
}

TEST(Sleep, IsNotCutShortBySignals) { EXPECT_GE(basics_sleep_among_signals(60), 0.060); }

// ---- who am I --------------------------------------------------------------------------------------------------------

TEST(Pid, IsTheSystems) { EXPECT_EQ(basics_system_pid(), spork_getpid()); }

TEST(Pid, ParentIsTheSystemsInAProgramThatAUserStarted)
{
    if (basics_system_parent() == 0)
        GTEST_SKIP() << "Windows remembers a parent by its number only, which may be another's by now";
    EXPECT_EQ(basics_system_parent(), spork_getppid());
}

TEST(Pid, AChildsParentIsWhoStartedItUnderEveryMethod)
{
    for (spork_start_method method : {SPORK_FORK, SPORK_SPAWN, SPORK_FORKSERVER}) {
        int pid = 0;
        if (spork_set_start_method(method) != SPORK_OK) continue;
        basics_sight child = sight_of([&](harness_end *writer) {
            spork_process *p = spork_process_new(basics_look, spork_pack(harness_give(writer)));
            EXPECT_EQ(SPORK_OK, spork_process_start(p)) << spork_error();
            pid = spork_process_pid(p);
            EXPECT_EQ(SPORK_OK, spork_process_join(p, kWatchdogMs));
            spork_process_free(p);
        });
        EXPECT_EQ(pid, child.pid);
        EXPECT_EQ(pid, child.system_pid);
        EXPECT_EQ(spork_getpid(), child.parent);
    }
    spork_set_start_method(SPORK_DEFAULT);
}

TEST(Pid, IsRightAfterAForkThatSporkKnowsNothingOf)
{
    POSIX_ONLY();
    basics_sight child = sight_of([](harness_end *writer) { EXPECT_EQ(0, basics_system_fork_and_look(writer)); });
    EXPECT_EQ(child.system_pid, child.pid);
    EXPECT_NE(spork_getpid(), child.pid);
    EXPECT_EQ(spork_getpid(), child.parent);
}

// ---- the plain fork --------------------------------------------------------------------------------------------------

TEST(Fork, ReturnsTwiceAndNothingIsPrintedTwice)
{
    POSIX_ONLY();
    Outcome r = outcome_of("fork", "");
    EXPECT_EQ(0, r.exitcode);
    EXPECT_EQ("one line\nhalf a line, the child\nthe parent\n", r.output);
}

TEST(Fork, IsRefusedWithTheWayOutWhereThereIsNone)
{
    if (has_fork()) GTEST_SKIP() << "this system has a fork: nothing is refused";
    Outcome r = outcome_of("fork", "");
    EXPECT_EQ(0, r.exitcode);
    EXPECT_TRUE(matches(r.output, "half a line, -1 SPORK_UNSUPPORTED spork_fork: *spork_process_new")) << r.output;
}

TEST(Fork, TheChildIsAnotherProcess)
{
    POSIX_ONLY();
    basics_sight child = sight_of([](harness_end *writer) { EXPECT_EQ(0, basics_fork_and_look(writer)); });
    EXPECT_EQ(child.system_pid, child.pid);
    EXPECT_NE(spork_getpid(), child.pid);
    EXPECT_EQ(spork_getpid(), child.parent);
}

TEST(Fork, TheChildMustNotUseItsParentsProcesses)
{
    POSIX_ONLY();
    spork_process *p = spork_process_new(basics_nothing, SPORK_NO_ARGS);
    ASSERT_EQ(SPORK_OK, spork_process_start(p));
    EXPECT_EQ(SPORK_NOT_YOURS, basics_fork_and_join(p));
    EXPECT_EQ(SPORK_OK, spork_process_join(p, kWatchdogMs)); // and that has done it no harm
    EXPECT_EQ(0, spork_process_exitcode(p));
    spork_process_free(p);
}

TEST(Fork, TheChildMayStartProcessesItself)
{
    POSIX_ONLY();
    for (spork_start_method method : {SPORK_FORK, SPORK_SPAWN, SPORK_FORKSERVER}) {
        spork_set_start_method(method);
        EXPECT_EQ(42, basics_fork_and_start(42)) << method;
    }
    spork_set_start_method(SPORK_DEFAULT);
}

// ---- CPUs ------------------------------------------------------------------------------------------------------------

TEST(Cpus, ThereIsAtLeastOneAndAReason)
{
    char why[512] = "";
    int count = spork_cpu_count();
    EXPECT_GE(count, 1);
    EXPECT_EQ(count, spork_cpu_count_why(why, sizeof why));
    std::string head = std::to_string(count) + (count == 1 ? " CPU: " : " CPUs: ") + "the machine has ";
    EXPECT_EQ(0u, std::string(why).find(head)) << why;
}

TEST(Cpus, TheReasonIsCutToItsRoom)
{
    char whole[512], part[512];
    ASSERT_EQ(spork_cpu_count(), spork_cpu_count_why(whole, sizeof whole));
    for (size_t size = 1; size <= std::strlen(whole) + 1; size++) {
        std::memset(part, '!', sizeof part);
        spork_cpu_count_why(part, size);
        EXPECT_EQ(std::string(whole).substr(0, size - 1), part);
        EXPECT_EQ('!', part[size]);
    }
    EXPECT_EQ(spork_cpu_count(), spork_cpu_count_why(part, 0));
    EXPECT_EQ('!', part[sizeof part - 1]);
    EXPECT_EQ(spork_cpu_count(), spork_cpu_count_why(nullptr, 0));
}

TEST(Cpus, OneIfTheAffinityMaskAllowsOne)
{
    int code = exitcode_of(basics_use_one_cpu);
    if (code == 200) GTEST_SKIP() << "no process can be bound to a CPU here";
    EXPECT_EQ(1, code);
    EXPECT_EQ(0, exitcode_of(basics_explain_one_cpu));
}

#ifndef _WIN32

// A directory that stands for /, with the files in which Linux tells of quotas.
class Quota : public testing::Test {
  protected:
    std::filesystem::path root;
    int machine = 0; // without any quota

    void SetUp() override
    {
        root = std::filesystem::temp_directory_path() / ("spork-cpus-" + std::to_string(spork_getpid()));
        std::filesystem::remove_all(root);
        std::filesystem::create_directories(root);
        machine = count();
    }
    void TearDown() override { std::filesystem::remove_all(root); }

    void write(const std::string &path, const std::string &text)
    {
        std::filesystem::create_directories((root / path).parent_path());
        std::ofstream(root / path) << text;
    }
    int count() { return spork__cpu_count(root.c_str(), nullptr, 0); }
    std::string why()
    {
        char text[1024];
        spork__cpu_count(root.c_str(), text, sizeof text);
        return text;
    }
    int at_most(int n) { return std::min(n, machine); }
};

TEST_F(Quota, WithoutFilesThereIsNone)
{
    EXPECT_GE(machine, 1);
    EXPECT_TRUE(matches(why(), "there is no CPU quota")) << why();
}

TEST_F(Quota, OneAndAHalfCpusKeepTwoBusy)
{
    write("proc/self/cgroup", "0::/job\n");
    write("sys/fs/cgroup/job/cpu.max", "150000 100000\n");
    EXPECT_EQ(at_most(2), count());
}

// The same for memory: what a shared block may still take, lest the kernel kill somebody for it.
TEST_F(Quota, OfMemoryIsWhatTheMachineHasLeftWithItsSwap)
{
    write("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable: 5000 kB\nSwapFree: 1000 kB\n");
    EXPECT_EQ(6000u * 1024, spork__memory_available(root.c_str()));
}

TEST_F(Quota, OfMemoryIsTheLeastOfAllGroupsAboveFilesThatAreCachedNotCounted)
{
    write("proc/meminfo", "MemAvailable: 5000 kB\n");
    write("proc/self/cgroup", "0::/a/b\n");
    write("sys/fs/cgroup/a/memory.max", "1000000\n");
    write("sys/fs/cgroup/a/memory.current", "900000\n");
    write("sys/fs/cgroup/a/memory.stat", "anon 500000\ninactive_file 300000\nactive_file 50000\n");
    write("sys/fs/cgroup/a/b/memory.max", "max\n");
    write("sys/fs/cgroup/a/b/memory.current", "700000\n");
    EXPECT_EQ(450000u, spork__memory_available(root.c_str()));
}

TEST_F(Quota, OfMemoryCountsTheSwapThatAGroupMayUse)
{
    write("proc/meminfo", "MemAvailable: 5000 kB\nSwapFree: 1000 kB\n");
    write("proc/self/cgroup", "0::/a\n");
    write("sys/fs/cgroup/a/memory.max", "1000000\n");
    write("sys/fs/cgroup/a/memory.current", "1000000\n");
    EXPECT_EQ(1024000u, spork__memory_available(root.c_str()));
    write("sys/fs/cgroup/a/memory.swap.max", "600000\n");
    write("sys/fs/cgroup/a/memory.swap.current", "100000\n");
    EXPECT_EQ(500000u, spork__memory_available(root.c_str()));
    write("sys/fs/cgroup/a/memory.swap.max", "0\n");
    EXPECT_EQ(0u, spork__memory_available(root.c_str()));
}

TEST_F(Quota, OfMemoryIsReadFromTheFirstVersionsGroupsToo)
{
    write("proc/meminfo", "MemAvailable: 5000 kB\n");
    write("proc/self/cgroup", "7:memory:/job\n");
    write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "1000000\n");
    write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "1200000\n");
    write("sys/fs/cgroup/memory/job/memory.stat", "total_inactive_file 100000\n");
    EXPECT_EQ(0u, spork__memory_available(root.c_str()));
}

TEST_F(Quota, OfMemoryIsUnknownWhereNothingTells) { EXPECT_EQ(UINT64_MAX, spork__memory_available(root.c_str())); }

TEST_F(Quota, LessThanOneCpuIsOne)
{
    write("proc/self/cgroup", "0::/job\n");
    for (const char *quota : {"50000 100000", "1000 100000", "1 1000000", "100000 100000"}) {
        write("sys/fs/cgroup/job/cpu.max", quota);
        EXPECT_EQ(1, count()) << quota;
    }
}

TEST_F(Quota, MoreThanTheMachineHasIsTheMachine)
{
    write("proc/self/cgroup", "0::/job\n");
    for (const char *quota : {"6400000 100000", "17592186044415 1000", "9223372036854775807 1"}) {
        write("sys/fs/cgroup/job/cpu.max", quota);
        EXPECT_EQ(machine, count()) << quota;
    }
}

TEST_F(Quota, MaxIsNone)
{
    write("proc/self/cgroup", "0::/job\n");
    write("sys/fs/cgroup/job/cpu.max", "max 100000\n");
    EXPECT_EQ(machine, count());
    EXPECT_TRUE(matches(why(), "there is no CPU quota")) << why();
}

TEST_F(Quota, TheReasonNamesTheFileAndTheQuota)
{
    write("proc/self/cgroup", "0::/job\n");
    write("sys/fs/cgroup/job/cpu.max", "50000 100000\n");
    EXPECT_NE(std::string::npos, why().find((root / "sys/fs/cgroup/job/cpu.max").string() + " grants 0.50")) << why();
    EXPECT_EQ(0u, why().find("1 CPU: ")) << why();
}

TEST_F(Quota, TheLeastOfNestedGroupsWins)
{
    write("proc/self/cgroup", "0::/outer/middle/inner\n");
    write("sys/fs/cgroup/outer/middle/inner/cpu.max", "200000 100000\n");
    write("sys/fs/cgroup/outer/middle/cpu.max", "max 100000\n");
    write("sys/fs/cgroup/outer/cpu.max", "100000 100000\n");
    EXPECT_EQ(1, count());
    EXPECT_NE(std::string::npos, why().find("/outer/cpu.max grants 1.00")) << why();
    write("sys/fs/cgroup/outer/middle/inner/cpu.max", "20000 100000\n");
    EXPECT_NE(std::string::npos, why().find("/inner/cpu.max grants 0.20")) << why();
}

TEST_F(Quota, AGroupBesideOursDoesNotMatter)
{
    write("proc/self/cgroup", "0::/ours\n");
    write("sys/fs/cgroup/other/cpu.max", "10000 100000\n");
    write("sys/fs/cgroup/our/cpu.max", "10000 100000\n");
    EXPECT_EQ(machine, count());
}

TEST_F(Quota, InAContainerTheMountIsTheGroup)
{
    write("proc/self/cgroup", "0::/docker/0123456789abcdef\n"); // the host's path, which is not there
    write("sys/fs/cgroup/cpu.max", "100000 100000\n");
    EXPECT_EQ(1, count());
    write("proc/self/cgroup", "0::/\n");
    EXPECT_EQ(1, count());
    write("proc/self/cgroup", "0::/../../elsewhere\n"); // a namespace whose root is below ours
    EXPECT_EQ(1, count());
}

TEST_F(Quota, OfTheFirstVersion)
{
    write("proc/self/cgroup", "12:pids:/job\n4:cpu,cpuacct:/job\n1:name=systemd:/job\n");
    write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "80000\n");
    write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(1, count());
    EXPECT_NE(std::string::npos, why().find("cpu.cfs_quota_us grants 0.80")) << why();
    write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
    EXPECT_EQ(machine, count());
}

TEST_F(Quota, OfTheFirstVersionUnderItsOtherNames)
{
    for (const char *controllers : {"cpu", "cpuacct,cpu"}) {
        write("proc/self/cgroup", std::string("4:") + controllers + ":/job\n");
        std::string mount = std::string("sys/fs/cgroup/") + controllers;
        write(mount + "/cpu.cfs_quota_us", "50000\n"); // of the mount, as containers see it
        write(mount + "/cpu.cfs_period_us", "100000\n");
        EXPECT_EQ(1, count()) << controllers;
        std::filesystem::remove_all(root / "sys");
        EXPECT_EQ(machine, count()) << controllers;
    }
    write("proc/self/cgroup", "4:cpu,cpuacct:/job\n"); // mounted under the short name only
    write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "50000\n");
    write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(1, count());
}

TEST_F(Quota, OtherControllersAreNotTheCpus)
{
    for (const char *line : {"3:cpuset:/job\n", "2:cpuacct:/job\n", "1:name=cpu:/job\n"}) {
        write("proc/self/cgroup", line);
        for (const char *mount : {"cpuset", "cpuacct", "cpu", "name=cpu"}) {
            write(std::string("sys/fs/cgroup/") + mount + "/job/cpu.cfs_quota_us", "10000\n");
            write(std::string("sys/fs/cgroup/") + mount + "/job/cpu.cfs_period_us", "100000\n");
        }
        EXPECT_EQ(machine, count()) << line;
    }
}

TEST_F(Quota, AGroupsNameMayHoldColonsAndSpaces)
{
    write("proc/self/cgroup", "0::/a:b c:d\n");
    write("sys/fs/cgroup/a:b c:d/cpu.max", "100000 100000\n");
    EXPECT_EQ(1, count());
}

TEST_F(Quota, DamagedFilesAreNone)
{
    for (const char *groups : {"", "\n", "0::/job", "0::\n", ":\n::\n:::\n", "garbage", "4:cpu\n"}) {
        for (const char *text : {"", "\n", "max", "max\n", "100000", "abc def", "0 100000", "-100000 100000",
                                 "100000 0", "100000 -1", "100000 x", "\xff\xfe\xfd"}) {
            write("proc/self/cgroup", groups);
            write("sys/fs/cgroup/job/cpu.max", text);
            write("sys/fs/cgroup/cpu.max", text);
            EXPECT_EQ(machine, count()) << "'" << groups << "' '" << text << "'";
            EXPECT_TRUE(matches(why(), "there is no CPU quota")) << "'" << text << "': " << why();
        }
    }
    write("proc/self/cgroup", "4:cpu:/job\n");
    for (const char *text : {"", "\n", "abc", "0", "-5", "99999999999999999999999999"}) {
        write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", text);
        write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000");
        EXPECT_EQ(machine, count()) << "quota '" << text << "'";
        write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "10000");
        write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", text);
        EXPECT_EQ(text[0] == '9' ? 1 : machine, count()) << "period '" << text << "'"; // hardly a quota at all
    }
    std::filesystem::remove(root / "sys/fs/cgroup/cpu/job/cpu.cfs_period_us");
    EXPECT_EQ(machine, count()) << "a quota without a period";
}

TEST_F(Quota, LongLinesAndPathsAreSurvived)
{
    std::string name(3000, 'n');
    write("proc/self/cgroup", "0::/" + name + "\n4:cpu," + name + ":/" + name + "\n0::/job\n");
    write("sys/fs/cgroup/job/cpu.max", "100000 100000\n");
    EXPECT_EQ(1, count()); // and the line behind them is still read
    write("sys/fs/cgroup/job/cpu.max", std::string(100000, '1'));
    EXPECT_EQ(machine, count());
}

#endif

} // namespace
