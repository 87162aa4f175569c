// What a child has from its parent: under each start method what that has at the moment of the start.
#include "child.h"

#ifndef _WIN32

#include <cerrno>

#include <unistd.h>

#include "harness/attributes.h"

namespace {

class Attribute : public testing::TestWithParam<const char *> {};

TEST_P(Attribute, IsWhatItsParentHasAtTheStart)
{
    Child parent(attributes_change, spork_pack(GetParam()));
    int code = parent.run();
    if (code == ATTRIBUTES_CANNOT_CHANGE) GTEST_SKIP() << "skipped: it cannot be changed here";
    // A program that may not be executed any more cannot be spawned; but nobody starts with rights that are gone.
    if (code == ATTRIBUTES_REFUSED && std::string(GetParam()) == "user") return;
    EXPECT_EQ(0, code);
}

INSTANTIATE_TEST_SUITE_P(, Attribute,
                         testing::Values("umask", "directory", "environment", "process_group",
                                         "nice", "limit", "user", "groups"),
                         [](const auto &of) { return std::string(of.param); });
#ifdef __linux__
INSTANTIATE_TEST_SUITE_P(Linux, Attribute,
                         testing::Values("session", "processors", "scheduling", "timer_slack",
                                         "no_new_privileges", "capabilities", "namespace",
                                         "memory_score",
                                         "no_new_privileges_beside_many_groups"),
                         [](const auto &of) { return std::string(of.param); });
#endif

// What this process has given up, its fork server has still. Who has kept the socket to it gets nothing back.
TEST(ForkServer, DoesNothingForAnotherUserThanItsOwn)
{
#ifdef __linux__
    if (getuid() != 0) GTEST_SKIP() << "skipped: only root can be somebody else";
    EXPECT_EQ(1, attributes_receive_from(0));
    EXPECT_EQ(-EPERM, attributes_receive_from(65534));
#else
    GTEST_SKIP() << "skipped: this system does not tell who sent something";
#endif
}

} // namespace

#endif
