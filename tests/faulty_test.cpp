// Every system call of each kind fails in its turn, with each error that its manual names, while the library is used for what it is for
// (harness/faulty.c): the result is right, or a status with a sentence; nothing hangs, nothing is left, and the next use works. And transfers are
// short and interrupted, all of them.
//
// Left out are errors that assert a fact which here is none (ESRCH and ECHILD of a process that lives, EBADF of a descriptor that is open, EAGAIN of one
// that blocks): a library can only believe them.
#include <gtest/gtest.h>
#include <spork/spork.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "alloc.h"
#include "budget.h"
#include "fault.h"
#include "harness/faulty.h"

#if SPORK_FAULTS
namespace {

using Codes = std::vector<int>;

#ifdef _WIN32
// The manuals name no errors: no memory, no access, no resources.
Codes codes_of(const std::string &) { return harness_wine() ? Codes{8} : Codes{8, 5, 1450}; }
#else
const std::map<std::string, Codes> kCodes = {
    {"memfd_create", {EMFILE, ENFILE, ENOMEM, ENOSYS, EPERM}},
    {"shm_open", {EMFILE, ENFILE, EACCES, EEXIST}},
    {"ftruncate", {EINTR, EIO, EFBIG, EPERM, EINVAL}},
    {"mmap", {ENOMEM, EACCES, EAGAIN, ENFILE, EPERM}},
    {"posix_fallocate", {ENOSPC, EINTR, EFBIG, ENODEV, EINVAL, EOPNOTSUPP}},
    {"fstat", {EIO, ENOMEM, EOVERFLOW}},
    {"pipe", {EMFILE, ENFILE}},
    {"pipe2", {EMFILE, ENFILE}},
    {"socketpair", {EMFILE, ENFILE, ENOBUFS, ENOMEM, EAFNOSUPPORT}},
    {"socket", {EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES, EAFNOSUPPORT}},
    {"bind", {EACCES, EADDRINUSE, ENOMEM}},
    {"chime_write", {EINTR}},
    {"eventfd", {EMFILE, ENFILE, ENODEV, ENOMEM}},
    {"open", {EACCES, EINTR, EMFILE, ENFILE, ENOENT, ENOMEM, ENOSPC, EROFS, EEXIST, EOPNOTSUPP, ELOOP, EPERM}},
    {"read", {EINTR, EIO}},
    {"write", {EINTR, EIO, EPIPE, ENOSPC}},
    {"writev", {EINTR, EIO, EPIPE, ENOMEM}},
    {"pwritev2", {EINTR, EIO, EPIPE, ENOMEM, EOPNOTSUPP}},
    {"sendmsg", {EINTR, ENOBUFS, ENOMEM, EPIPE, ECONNRESET, ETOOMANYREFS, EMSGSIZE}},
    {"recvmsg", {EINTR, ENOMEM, ECONNRESET}},
    {"recv", {EINTR, ENOMEM, ECONNRESET}},
    {"poll", {EINTR, ENOMEM, EINVAL}},
    {"fork", {EAGAIN, ENOMEM, ENOSYS}},
    {"clone3", {EAGAIN, ENOMEM, ENOSYS, EPERM}},
    {"pidfd_open", {EMFILE, ENFILE, ENODEV, ENOMEM, ENOSYS}},
    {"pidfd_send_signal", {EPERM}},
    {"waitid", {EINTR, EINVAL}},
    {"kill", {EPERM}},
    {"fcntl", {EMFILE, EINVAL}},
    {"dup", {EMFILE}},
    {"dup2", {EMFILE, EBUSY, EINTR}},
    {"link", {EACCES, EDQUOT, EEXIST, EIO, EMLINK, ENOENT, ENOMEM, ENOSPC, EPERM, EROFS}},
    {"linkat", {EACCES, EDQUOT, EEXIST, EIO, EMLINK, ENOENT, ENOMEM, ENOSPC, EPERM, EROFS}},
    {"unlink", {EACCES, EBUSY, EIO, ENOENT, ENOMEM, EPERM, EROFS}},
    {"flock", {EINTR, ENOLCK, EWOULDBLOCK}},
    {"getrlimit", {EINVAL, EPERM}},
    {"setrlimit", {EINVAL, EPERM}},
    {"posix_spawn", {EAGAIN, ENOMEM, ENOENT, EACCES, E2BIG, EMFILE, ENOEXEC}},
    {"posix_spawn_file_actions_init", {ENOMEM}},
    {"posix_spawnattr_init", {ENOMEM}},
    {"pthread_create", {EAGAIN, EPERM}},
    {"kqueue", {EMFILE, ENFILE, ENOMEM}},
};

Codes codes_of(const std::string &kind)
{
    const auto found = kCodes.find(kind);
    EXPECT_NE(kCodes.end(), found) << "what can " << kind << " fail with? See its manual, and add it above.";
    return found != kCodes.end() ? found->second : Codes{EIO};
}
#endif

std::vector<std::string> kinds()
{
    char names[100][SPORK__FAULT_KIND];
    size_t count = spork__fault_kinds(names, 100);
    EXPECT_LE(count, 100u);
    std::vector<std::string> all(names, names + std::min<size_t>(count, 100));
    std::sort(all.begin(), all.end());
    return all;
}

struct Use {
    faulty_use what;
};
void PrintTo(const Use &use, std::ostream *out) { *out << use.what.name; }

std::vector<Use> uses()
{
    size_t count;
    const faulty_use *all = faulty_uses(&count);
    std::vector<Use> list;
    for (size_t i = 0; i < count; i++) list.push_back({all[i]});
    return list;
}

struct Books {
    long blocks;
    int descriptors, mappings, zombies;
    bool operator==(const Books &b) const
    {
        return blocks == b.blocks && descriptors == b.descriptors && mappings == b.mappings && zombies == b.zombies;
    }
};
void PrintTo(const Books &b, std::ostream *out)
{
    *out << b.blocks << " blocks, " << b.descriptors << " descriptors, " << b.mappings << " mappings, " << b.zombies << " zombies";
}
Books now() { return {spork__allocated(), harness_descriptors(nullptr, 0), harness_mappings(), harness_zombies()}; }

class FaultyUse : public testing::TestWithParam<Use> {
  protected:
    Books before_ = {};
    int code_ = 0; // of the call that fails

    void SetUp() override
    {
        spork_set_log(SPORK_LOG_ERROR, [](spork_log_level, const char *, int, const char *, void *) {}, nullptr);
#if defined(__SANITIZE_THREAD__)
        if (in_forks())
            GTEST_SKIP() << "skipped: ThreadSanitizer has no threads in what a program with threads has forked";
#endif
        expect_fine(); // what is made once is there from now on
        expect_fine();
        before_ = now();
    }
    void TearDown() override
    {
        spork__fault_arm_kind(nullptr, 0, 0, false);
        spork__fault_arm(SPORK__FAULT_ALLOC, 0, 0, false);
        spork__fault_disturb(false);
        spork_set_log(static_cast<spork_log_level>(0), nullptr, nullptr);
    }
    // The children are copies of this process, faults and all.
    static bool in_forks() { return std::string(GetParam().what.name) == "Fork" || std::string(GetParam().what.name) == "PoolFork"; }
    static spork_status use() { return GetParam().what.run(); }
    static void expect_fine()
    {
        faulty_tidy();
        EXPECT_EQ(SPORK_OK, use()) << spork_error();
    }
    static bool balanced(void *user)
    {
        const Books *before = static_cast<Books *>(user);
        return now() == *before;
    }
    // At once, or when what the next use replaces has been replaced: a fork server that is no more to be trusted.
    void expect_balance()
    {
        if (now() == before_) return;
        expect_fine();
        harness_until(balanced, &before_);
        EXPECT_EQ(before_, now());
    }
    void expect_order(spork_status status, double seconds)
    {
        if (code_ == EINTR) {
            EXPECT_EQ(SPORK_OK, status) << "a signal is no failure: " << spork_error();
        }
        EXPECT_NE(SPORK_INTERNAL, status) << spork_error();
        EXPECT_NE(SPORK_TIMEOUT, status) << spork_error();
        EXPECT_LT(seconds * 1000, kWatchdogMs) << "it hangs";
        if (status != SPORK_OK) {
            EXPECT_STRNE("", spork_error());
        }
    }
    // With the n-th call failing, for every n that there is; how many there were.
    template <class Arm, class Count> int fail_each(Arm arm, Count count)
    {
        int met = 0;
        for (long n = 1; n < 300 && !HasFailure(); n++) {
            SCOPED_TRACE("call " + std::to_string(n));
            faulty_tidy();
            double begin = spork_time();
            arm(n);
            spork_status status = use();
            bool is_met = count() >= n || (in_forks() && status != SPORK_OK); // the child has inherited it
            arm(0);
            expect_order(status, spork_time() - begin);
            if (!is_met) {
                EXPECT_EQ(SPORK_OK, status) << spork_error();
                break;
            }
            met++;
            expect_balance();
        }
        expect_fine();
        expect_balance();
        return met;
    }
};

TEST_P(FaultyUse, WithoutMemoryIsAStatus)
{
    EXPECT_GT(fail_each([](long n) { spork__fault_arm(SPORK__FAULT_ALLOC, n, 0, false); },
                        [] { return spork__fault_count(SPORK__FAULT_ALLOC); }),
              0);
}

TEST_P(FaultyUse, WithAnyErrorOfAnyCallIsAStatus)
{
    spork__fault_forget_kinds();
    expect_fine();
    const std::vector<std::string> all = kinds();
    EXPECT_FALSE(all.empty());
    const bool everywhere = GetParam().what.everywhere;
    const char *only = std::getenv("HARNESS_KIND"); // to repeat what one kind of call has shown
    for (const std::string &kind : all)
        for (int code : codes_of(kind)) {
            if (HasFailure()) return;
            if (only != nullptr && kind != only) continue;
            code_ = code;
            SCOPED_TRACE(kind + " fails with " + std::to_string(code));
            fail_each([&](long n) { spork__fault_arm_kind(n == 0 ? nullptr : kind.c_str(), n, code, everywhere); },
                      spork__fault_kind_count);
        }
}

#ifndef _WIN32
// Every transfer is short, and every second one has to be tried again. (Windows interrupts nothing, and its messages come whole.)
TEST_P(FaultyUse, ByShortAndInterruptedTransfersIsRight)
{
    spork__fault_disturb(true);
    for (int i = 0; i < 3; i++) expect_fine();
    spork__fault_disturb(false);
    expect_fine();
    expect_balance();
}
#endif

INSTANTIATE_TEST_SUITE_P(Of, FaultyUse, testing::ValuesIn(uses()), [](const auto &of) { return of.param.what.name; });

} // namespace
#endif
