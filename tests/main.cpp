// The test program is its own child: spork_init comes before GoogleTest sees argv. `--scenario NAME [ARGUMENT]` runs one of the
// harness' programs instead of tests.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "fault.h"
#include "harness/deny.h"
#include "harness/harness.h"

// HARNESS_DISTURB: this program and all its children live with short and interrupted transfers.
static void disturb()
{
#if SPORK_FAULTS
    spork__fault_disturb(std::getenv("HARNESS_DISTURB") != nullptr);
#endif
}

// Tests are seldom longer. ctest ends it later.
class Patience : public testing::EmptyTestEventListener {
    void OnTestStart(const testing::TestInfo &) override
    {
        harness_tell_where_it_hangs(4 * harness_patience_ms() / 1000);
    }
};

static int nothing(const spork_args *) { return 0; }

// What a child does before it reaches spork_init, when a test wants it to. The variable is set by a running test only.
static void before_init()
{
    const char *how = std::getenv("HARNESS_BOOTSTRAP");
    if (how == nullptr) return;
#ifdef _WIN32
    if (std::strcmp(how, "kill") == 0) std::_Exit(9);
#else
    if (std::strcmp(how, "kill") == 0) std::raise(SIGKILL);
#endif
    if (std::strcmp(how, "exit") == 0) std::_Exit(3);
    if (std::strncmp(how, "until ", 6) == 0) // there is such a file
        for (std::FILE *there = nullptr; (there = std::fopen(how + 6, "r")) == nullptr;) spork_sleep(1);
    if (std::strcmp(how, "hang") == 0) spork_sleep(SPORK_FOREVER);
    if (std::strcmp(how, "start") == 0) {
        spork_process *p = spork_process_new(nothing, SPORK_NO_ARGS);
        bool refused =
            spork_process_start(p) == SPORK_BAD_STATE && std::strstr(spork_error(), "spork_init(argc, argv);");
        spork_process_free(p);
        if (!refused) std::_Exit(99);
    }
}

// What whoever runs the tests has made them ignore, their children would, too.
static void ignore_nothing()
{
#ifndef _WIN32
    for (int number = 1; number < 32; number++) {
        auto before = std::signal(number, SIG_DFL); // SIG_ERR for what there is not
        if (before != SIG_ERR && before != SIG_IGN) std::signal(number, before);
    }
#endif
}

int main(int argc, char **argv)
{
    ignore_nothing();
    harness_deny_as_told();
    disturb();
    before_init();
    if (argc > 1 && std::strcmp(argv[1], "--scenario") == 0) // those call spork_init themselves, or leave it out
        return harness_scenario(argc > 2 ? argv[2] : "", argc > 3 ? argv[3] : "");
    SPORK_MUST(spork_init(argc, argv));
    harness_be_patient();
    testing::InitGoogleTest(&argc, argv);
    testing::UnitTest::GetInstance()->listeners().Append(new Patience);
    return RUN_ALL_TESTS();
}
