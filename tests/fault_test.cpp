// Memory runs out and system calls fail, each in its turn, while a process is made and started: the result is a status
// and a sentence, the target runs once or not at all, nothing leaks, and the next start works. See harness/faults.c.
#include <gtest/gtest.h>
#include <spork/spork.h>

#include <algorithm>
#include <cerrno>
#include <ostream>
#include <string>
#include <vector>

#include "harness/faults.h"

namespace {

#ifdef _WIN32
const std::vector<int> codes = {8}; // ERROR_NOT_ENOUGH_MEMORY
#else
const std::vector<int> codes = {EMFILE, ENOMEM, EAGAIN};
#endif

struct Case {
    const char *name;
    spork_start_method method;
    bool limits;
    long bulk;
};
void PrintTo(const Case &c, std::ostream *out) { *out << c.name; }
const Case cases[] = {
#ifdef _WIN32
    {"Spawn", SPORK_SPAWN, false, 0},
#else
    {"Fork", SPORK_FORK, false, 0},
    {"ForkThatAcknowledges", SPORK_FORK, true, 0},
    {"Spawn", SPORK_SPAWN, false, 0},
    {"SpawnWithLimits", SPORK_SPAWN, true, 0},
    {"Forkserver", SPORK_FORKSERVER, false, 0},
    {"ForkserverThatAcknowledges", SPORK_FORKSERVER, true, 0},
    {"ForkserverWithMuchToSay", SPORK_FORKSERVER, false, 100000},
#endif
};

class Fault : public testing::TestWithParam<Case> {
  protected:
    faults_books before;

    void SetUp() override
    {
        expect_fine(); // what is made at the first start stays: the tree, a lifeline, a fork server
        before = faults_now();
    }
    faults_plan plan(spork__fault_door door, long nth, int code)
    {
        return {GetParam().method, GetParam().limits, static_cast<size_t>(GetParam().bulk), door, nth, code};
    }
    void expect_fine()
    {
        faults_plan without = plan(SPORK__FAULT_ALLOC, 0, 0);
        faults_result r = faults_start(&without);
        EXPECT_TRUE(r.started) << r.sentence;
        EXPECT_EQ(FAULTS_FINE, r.exitcode);
        EXPECT_EQ(1, r.runs);
    }
    // A fault was met, or not: what holds in any case.
    void expect_order(const faults_result &r)
    {
        static const std::vector<spork_status> statuses = {SPORK_NO_MEMORY,   SPORK_NO_SPACE, SPORK_BROKEN,
                                                           SPORK_UNSUPPORTED, SPORK_INVALID,  SPORK_OS_ERROR};
        if (!r.started) {
            EXPECT_NE(statuses.end(), std::find(statuses.begin(), statuses.end(), r.status))
                << spork_status_name(r.status);
            EXPECT_EQ(0u, std::string(r.sentence).find(r.made ? "spork_process_start(Faulty): " : "")) << r.sentence;
            EXPECT_STRNE("", r.sentence);
        }
        if (!r.made) {
            EXPECT_EQ(0, r.runs);
            return;
        }
        EXPECT_EQ(SPORK_OK, r.second) << "the same process again, after: " << r.sentence;
        EXPECT_TRUE(r.joined) << "it hangs, after: " << r.sentence;
        if (GetParam().method == SPORK_FORK && r.started && r.exitcode == 1)
            EXPECT_EQ(0, r.runs); // the child inherited the fault
        else {
            EXPECT_EQ(FAULTS_FINE, r.exitcode) << r.sentence;
            EXPECT_EQ(1, r.runs) << r.sentence;
        }
    }
    void expect_books_balance()
    {
        expect_fine();
        faults_books now = faults_now();
        EXPECT_EQ(before.allocated, now.allocated) << "blocks of memory";
        EXPECT_EQ(before.descriptors, now.descriptors) << "descriptors";
        EXPECT_EQ(before.mappings, now.mappings) << "pieces of shared memory";
        EXPECT_EQ(before.zombies, now.zombies);
        EXPECT_EQ(before.ends, now.ends);
    }
    // The n-th call fails, for every n that there is; how many were met.
    int fail_each(spork__fault_door door, int code)
    {
        int met = 0, quiet = 0;
        for (long n = 1; quiet < 3 && n < 400 && !HasFailure(); n++) {
            SCOPED_TRACE("call " + std::to_string(n) + ", code " + std::to_string(code));
            faults_plan p = plan(door, n, code);
            faults_result r = faults_start(&p);
            expect_order(r);
            bool is_quiet = r.count < n && !r.met_in_child && r.exitcode == FAULTS_FINE;
            quiet = is_quiet ? quiet + 1 : 0;
            met += !is_quiet;
            if (!is_quiet) expect_books_balance();
        }
        EXPECT_TRUE(quiet == 3 || HasFailure()) << "there seems to be no end to the calls";
        return met;
    }
};

TEST_P(Fault, MemoryThatRunsOutIsAStatus) { EXPECT_GE(fail_each(SPORK__FAULT_ALLOC, 0), 3); }

TEST_P(Fault, ASystemCallThatFailsIsAStatus)
{
    for (int code : codes) EXPECT_GE(fail_each(SPORK__FAULT_SYSTEM, code), 2);
}

// The first start of a program makes what later ones find: each fault needs a program of its own.
class FirstStart : public Fault {};

TEST_P(FirstStart, MayFailAndTheNextOneWorks)
{
    for (spork__fault_door door : {SPORK__FAULT_ALLOC, SPORK__FAULT_SYSTEM}) {
        bool quiet = false;
        int met = 0;
        const long step = harness_wine() ? 2 : 1; // a program takes long there
        for (long n = 1; !quiet && n < 100 && !HasFailure(); n += step) {
            std::string argument = std::to_string(GetParam().method) + "," + std::to_string(GetParam().limits) + "," +
                                   std::to_string(GetParam().bulk) + "," + std::to_string(door) + "," +
                                   std::to_string(n) + "," + std::to_string(codes[0]);
            SCOPED_TRACE(argument);
            harness_program *p = harness_run("cold-fault", argument.c_str());
            const char *line = harness_line(p);
            std::string first = line != nullptr ? line : "nothing";
            std::string second = (line = harness_line(p)) != nullptr ? line : "nothing";
            quiet = first.rfind("quiet ", 0) == 0;
            met += !quiet;
            EXPECT_TRUE(quiet || first.rfind("fault ", 0) == 0) << first;
            EXPECT_EQ("then exit 7 runs 1 zombies 0", second) << "after " << first;
            EXPECT_EQ(0, harness_wait(p));
            harness_free(p);
        }
        EXPECT_TRUE(quiet);
        EXPECT_GE(met, 2);
    }
}

std::string name_of(const testing::TestParamInfo<Case> &info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(By, Fault, testing::ValuesIn(cases), name_of);
INSTANTIATE_TEST_SUITE_P(By, FirstStart, testing::ValuesIn(cases), name_of);

} // namespace
