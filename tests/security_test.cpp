// The claims of docs/security.md: who can reach what, and what a child tells of itself. Each has its test here, or is named there with the
// test that it has elsewhere. Another user is one that this process becomes: only root can.
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "child.h"
#include "harness/deny.h"
#include "harness/pools.h"
#include "harness/security.h"
#include "harness/shms.h"
#include "record.h"
#include "spork_config.h"

#ifndef _WIN32
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace {

// This process' own: its children are found by it, and other tests that run meanwhile are not.
std::string the_secret() { return "open sesame, and that in no list of " + std::to_string(spork_getpid()); }

[[maybe_unused]] std::string last() { return spork_status_name(spork_last_status()); }

std::string fresh_name(const char *what)
{
    static int count = 0;
    return "sectest-" + std::to_string(spork_getpid()) + "-" + std::to_string(count++) + "-" + what;
}

// A child that keeps a secret until it is let go.
class Keeper {
  public:
    Keeper() : child_(security_keep, spork_pack(the_secret().c_str(), harness_give(says_.writer), harness_give(hears_.reader)))
    {
        char byte;
        EXPECT_EQ(SPORK_OK, child_.start()) << spork_error();
        says_.close_writer();
        hears_.close_reader();
        EXPECT_EQ(1, harness_read(says_.reader, &byte, 1)) << "it tells the secret, or has died";
    }
    int end()
    {
        hears_.close_writer();
        return child_.join();
    }

  private:
    Pipe says_, hears_;
    Child child_;
};

std::string output_of(harness_program *program, int *code)
{
    std::string output = harness_output(program);
    *code = harness_wait(program);
    harness_free(program);
    return output;
}

// ---- what is told to everybody ----

TEST(Security, NothingOfItsArgumentsIsInAChildsCommandLineOrEnvironment)
{
    Keeper keeper; // has looked itself
#ifdef __linux__
    EXPECT_FALSE(security_told(the_secret().c_str())) << "nor in that of a fork server";
    harness_setenv("SECURITY_TEST", the_secret().c_str());
    { // it would be seen
        Pipe says, hears;
        Child child(security_keep, spork_pack(the_secret().c_str(), harness_give(says.writer), harness_give(hears.reader)));
        EXPECT_EQ(2, child.run());
    }
    harness_setenv("SECURITY_TEST", nullptr);
#endif
    EXPECT_EQ(0, keeper.end());
}

TEST(Security, TheBootstrapsVariableHasNumbersOnlyAndIsGoneInTheChild)
{
    Pipe pipe;
    Child child(security_variable, spork_pack(harness_give(pipe.writer)));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    pipe.close_writer();
    const std::string text = pipe.rest();
    EXPECT_EQ(0, child.join());
#ifdef __linux__
    if (spork_get_start_method() == SPORK_FORK)
        EXPECT_EQ("", text);
    else // a fork server's child has its server's
        EXPECT_TRUE(std::regex_match(
            text, std::regex("SPORK_BOOTSTRAP=[0-9]+:[0-9]+:[0-9]+:[0-9a-f]{16}:-1")))
            << text;
#endif
}

TEST(Security, AForgedBootstrapOfSomebodyElsesChildIsIgnored)
{
    int code;
    harness_setenv("SPORK_BOOTSTRAP", windows() ? "3:4:5:1:0123456789abcdef"
                                                : "3:4:1:0123456789abcdef:-1"); // process 1's
    std::string output = output_of(harness_run("start_each_way", ""), &code);
    harness_setenv("SPORK_BOOTSTRAP", nullptr);
    EXPECT_EQ(0, code);
    EXPECT_NE(std::string::npos, output.find("child\nSPORK_OK\n")) << output;
}

TEST(Security, AForgedBootstrapWithoutARecordRunsNothing)
{
    if (windows()) GTEST_SKIP() << "a number that is a handle here is none there: the program ends before it can say so";
    int code;
    const std::string forged =
        "1:2:" + std::to_string(spork_getpid()) + ":0123456789abcdef:-1"; // a pipe is no record
    harness_setenv("SPORK_BOOTSTRAP", forged.c_str());
    std::string output = output_of(harness_run("start_each_way", ""), &code);
    harness_setenv("SPORK_BOOTSTRAP", nullptr);
    EXPECT_EQ(1, code);
    EXPECT_EQ("", output) << "neither a target nor main has run";
}

#ifndef _WIN32
// It has another parent by then, and is no program that a user has called.
TEST(Security, AChildWhoseParentDiedBeforeItBeganRunsNothing)
{
    spork__block block;
    ASSERT_EQ(SPORK_OK, spork__os_block_new(&block, 100)) << spork_error();
    for (bool orphan : {false, true}) {
        Pipe ack;
        const int record = dup(static_cast<int>(block.handle)),
                  writer = dup(static_cast<int>(harness_end_native(ack.writer)));
        ack.close_writer();
        if (orphan) ack.close_reader();
        const std::string forged =
            std::to_string(record) + ":" + std::to_string(writer) + ":1:0000000000000001:-1";
        harness_setenv("SPORK_BOOTSTRAP", forged.c_str());
        int code;
        std::string output = output_of(harness_run("start_each_way", ""), &code);
        harness_setenv("SPORK_BOOTSTRAP", nullptr);
        close(record);
        close(writer);
        EXPECT_EQ(orphan ? 1 : 0, code);
        EXPECT_EQ(orphan, output.empty()) << output;
    }
    spork__os_block_free(&block);
}

TEST(Security, ARecordOfAnotherChildIsRefused)
{
    spork__startup startup = {};
    startup.name = "Process-1";
    startup.parent_name = "MainProcess";
    startup.is_server = true;
    startup.nonce = 1;
    startup.handle_count = SPORK__GIVEN_OBJECTS;
    size_t size = 0;
    int64_t *handles = nullptr;
    spork__block block;
    ASSERT_EQ(SPORK_OK, spork__record_size(&startup, &size)) << spork_error();
    ASSERT_EQ(SPORK_OK, spork__os_block_new(&block, size)) << spork_error();
    ASSERT_EQ(SPORK_OK, spork__record_write(&startup, block.data, size, &handles)) << spork_error();
    Pipe ack;
    const int record = dup(static_cast<int>(block.handle)), writer = dup(static_cast<int>(harness_end_native(ack.writer)));
    ack.close_writer();
    const std::string begin = std::to_string(record) + ":" + std::to_string(writer) + ":" + std::to_string(spork_getpid());
    harness_setenv("SPORK_BOOTSTRAP",
                   (begin + ":0000000000000002:-1").c_str()); // right but for this
    int code;
    std::string output = output_of(harness_run("start_each_way", ""), &code);
    harness_setenv("SPORK_BOOTSTRAP", nullptr);
    close(record);
    close(writer);
    EXPECT_EQ(1, code);
    EXPECT_EQ("", output);
    EXPECT_EQ("-the bootstrap record belongs to another child", ack.rest());
    spork__os_block_free(&block);
}
#endif

// ---- descriptors ----

TEST(Security, WhateverSporkOpensIsPrivate)
{
#ifndef _WIN32
    int before[256], count = harness_descriptors(before, 256);
#else
    const int count = security_inheritable();
#endif
    spork_connection *a = nullptr, *b = nullptr, *reader = nullptr, *writer = nullptr;
    ASSERT_EQ(SPORK_OK, spork_pipe_duplex(&a, &b));
    ASSERT_EQ(SPORK_OK, spork_pipe(&reader, &writer));
    spork_queue_options few = {};
    few.max_messages = 4;
    spork_queue *queue = spork_queue_new_with(&few);
    spork_shm *block = spork_shm_new(5000);
    const std::string mine = fresh_name("creator"), manual = fresh_name("manual");
    spork_shm *first = spork_shm_create(mine.c_str(), 100, SPORK_CREATOR);
    spork_shm *second = spork_shm_create(manual.c_str(), 100, SPORK_MANUAL);
    spork_lock *lock = spork_lock_new();
    spork_event *event = spork_event_new();
    spork_pool *pool = spork_pool_new(1);
    EXPECT_TRUE(queue && block && first && second && lock && event && pool) << spork_error();
    // On Windows what a worker gets can be inherited for as long as it takes to start it.
    EXPECT_EQ(SPORK_OK, spork_pool_apply(pool, pools_nothing, SPORK_NO_ARGS, nullptr, kWatchdogMs)) << spork_error();
    {
        Keeper keeper;
#ifndef _WIN32
        EXPECT_EQ(-1, security_leaking(before, count < 256 ? count : 256)) << "a program started now would get this one";
#else
        EXPECT_EQ(count, security_inheritable());
#endif
        EXPECT_EQ(0, keeper.end());
    }
    spork_pool_shutdown(pool, kWatchdogMs);
    spork_pool_free(pool);
    spork_event_free(event);
    spork_lock_free(lock);
    spork_shm_free(first);
    spork_shm_free(second);
    spork_shm_remove(manual.c_str());
    spork_shm_free(block);
    spork_queue_free(queue);
    for (spork_connection *c : {a, b, reader, writer}) spork_connection_free(c);
}

// ---- files ----

TEST(Security, ATraceIsForItsUserAloneTellsNoArgumentsAndIsNotInherited)
{
    int code;
    const std::string file = testing::TempDir() + fresh_name("trace.json");
    std::string output = output_of(harness_run("security-trace", file.c_str()), &code);
    EXPECT_EQ(0, code);
    EXPECT_EQ("private\n", output);
    std::ifstream stream(file);
    std::stringstream text;
    text << stream.rdbuf();
    stream.close();
    EXPECT_NE(std::string::npos, text.str().find("task 1")) << text.str();
    EXPECT_EQ(std::string::npos, text.str().find("sesame"));
#ifndef _WIN32
    struct stat about = {};
    ASSERT_EQ(0, stat(file.c_str(), &about));
    EXPECT_EQ(0600u, about.st_mode & 07777u);
#endif
    remove(file.c_str());
}

#ifndef _WIN32
TEST(Security, ANameThatStaysIsAFileForItsUserAloneWhateverTheUmask)
{
    const std::string name = fresh_name("mode");
    const mode_t before = umask(0);
    spork_shm *block = spork_shm_create(name.c_str(), 100, SPORK_MANUAL);
    umask(before);
    ASSERT_NE(nullptr, block) << spork_error();
    const std::string end = "/spork-shm-" + std::to_string(geteuid()) + "-" + name;
    struct stat about = {};
    ASSERT_TRUE(stat(("/dev/shm" + end).c_str(), &about) == 0 || stat(("/tmp" + end).c_str(), &about) == 0) << end;
    EXPECT_EQ(0600u, about.st_mode & 07777u);
    EXPECT_EQ(geteuid(), about.st_uid);
    spork_shm_free(block);
    EXPECT_EQ(SPORK_OK, spork_shm_remove(name.c_str())) << spork_error();
}
#endif

// ---- another user of this machine ----

#ifdef __linux__
constexpr unsigned kVictim = 65534, kAttacker = 65533; // "nobody", and the one before

bool root() { return geteuid() == 0; }

TEST(Security, AnotherUserCanOpenNothingOfParentChildAndServer)
{
    if (!root()) GTEST_SKIP() << "only root can become another user";
    spork_shm *block = spork_shm_new(5000);
    spork_queue_options few = {};
    few.max_messages = 4;
    spork_queue *queue = spork_queue_new_with(&few);
    Keeper keeper;
    std::vector<int> all(50);
    all.resize(static_cast<size_t>(security_descendants(all.data(), 50)));
    EXPECT_GE(all.size(), spork_get_start_method() == SPORK_FORKSERVER ? 2u : 1u);
    all.push_back(spork_getpid());
    for (int pid : all) {
        const int ours = security_doors(pid, geteuid()), theirs = security_doors(pid, kAttacker);
        constexpr int kAtLeast = SECURITY_LIST | SECURITY_OPEN | SECURITY_ENVIRON | SECURITY_MAPS | SECURITY_SIGNAL;
        EXPECT_EQ(kAtLeast, ours & kAtLeast) << "the doors are there, of process " << pid;
        EXPECT_EQ(0, theirs) << "doors into process " << pid << (pid == spork_getpid() ? ", the parent" : "");
    }
    EXPECT_EQ(0, keeper.end());
    spork_queue_free(queue);
    spork_shm_free(block);
}

TEST(Security, NoSocketHasANameAndTheForkServersHasNone)
{
    spork_connection *a = nullptr, *b = nullptr;
    ASSERT_EQ(SPORK_OK, spork_pipe_duplex(&a, &b));
    Keeper keeper;
    int named = -1;
    EXPECT_GE(security_sockets(&named), spork_get_start_method() == SPORK_FORKSERVER ? 3 : 2);
    EXPECT_EQ(0, named);
    EXPECT_EQ(0, keeper.end());
    spork_connection_free(a);
    spork_connection_free(b);
}

TEST(Security, NobodyWhoGetsABlockCanTakeItsMemoryFromUnderTheOthers)
{
    if (!SPORK_HAVE_MEMFD_CREATE || harness_denies("memfd_create"))
        GTEST_SKIP() << "other memory cannot be sealed";
    spork_shm *block = spork_shm_new(5000);
    spork_queue_options few = {};
    few.max_messages = 4;
    spork_queue *queue = spork_queue_new_with(&few);
    ASSERT_TRUE(block != nullptr && queue != nullptr) << spork_error();
    int shortened = -1;
    EXPECT_GE(security_blocks(&shortened), 2);
    EXPECT_EQ(0, shortened) << "whoever touches the rest dies of SIGBUS";
    spork_queue_free(queue);
    spork_shm_free(block);
}

// An unrelated program of the victim's, which does what it is told; what it says, without the sentence.
class Victim {
  public:
    Victim() : program_(shms_run("nobody")) {}
    Victim(const Victim &) = delete;
    Victim &operator=(const Victim &) = delete;
    ~Victim() { shms_free(program_); }
    std::string does(const std::string &line)
    {
        EXPECT_TRUE(shms_tell(program_, line.c_str()));
        const char *said = harness_line(program_->program);
        const std::string all = said != nullptr ? said : "nothing";
        return all.substr(0, all.find('|'));
    }

  private:
    shms_program *program_;
};

// What lies where the victim looks is never taken for its own. Names that end with their process are files only where the system has no
// other kind of name.
TEST(Security, WhatAnotherUserHasPutUnderAVictimsNameIsRefused)
{
    if (!root()) GTEST_SKIP() << "only root can become another user";
    const std::string target = "/tmp/" + fresh_name("target");
    Victim victim;
    std::vector<std::string> endings = {""};
    if (SPORK_PORTABLE_POSIX) endings.emplace_back(".own");
    for (const std::string directory : {"/dev/shm", "/tmp"})
        for (const std::string &ending : endings)
            for (security_bait bait : {SECURITY_FILE, SECURITY_LINK, SECURITY_FIFO}) {
                const std::string name = fresh_name("bait");
                const std::string path = directory + "/spork-shm-" + std::to_string(kVictim) + "-" + name + ending;
                SCOPED_TRACE(path + " is a " + (bait == SECURITY_FILE ? "file" : bait == SECURITY_LINK ? "link" : "FIFO"));
                ASSERT_TRUE(security_forge(target.c_str(), name.c_str(), kVictim)); // the victim's own, and of the right form
                std::unique_ptr<security_attacker, void (*)(security_attacker *)> attacker(
                    security_plant(kAttacker, bait, path.c_str(), name.c_str(), target.c_str()), security_free);
                ASSERT_NE(nullptr, attacker);
                EXPECT_EQ("SPORK_DENIED", victim.does("open 0 " + name));
                if (ending.empty()) {
                    EXPECT_EQ("SPORK_EXISTS", victim.does("create 1 " + name + " 100 creator"));
                    EXPECT_EQ("SPORK_EXISTS", victim.does("create 1 " + name + " 100 manual"));
                    EXPECT_EQ("SPORK_DENIED", victim.does("remove " + name)) << "the directory is sticky";
                }
                attacker.reset();
                EXPECT_EQ("SPORK_NOT_FOUND", victim.does("open 0 " + name));
                EXPECT_EQ("SPORK_OK", victim.does("create 1 " + name + " 100 creator")) << "and once it is gone the name is free";
                EXPECT_EQ("SPORK_OK", victim.does("free 1"));
                remove(target.c_str());
            }
}

// A name that ends with its process is that of a socket, which tells where the memory is. Anybody may bind one.
class SecurityPose : public testing::Test {
  protected:
    void SetUp() override
    {
        if (!root()) GTEST_SKIP() << "only root can become another user";
        if (SPORK_PORTABLE_POSIX) GTEST_SKIP() << "names are files here";
        name = fresh_name("pose");
        begin = "spork-shm/0/" + name;
        path = "/tmp/" + fresh_name("posed");
    }
    void TearDown() override
    {
        if (!path.empty()) remove(path.c_str());
    }
    std::string open()
    {
        spork_shm *found = spork_shm_open(name.c_str());
        if (found == nullptr) return last();
        spork_shm_free(found);
        return "opened";
    }
    std::string name, begin, path;
};

TEST_F(SecurityPose, ThatTellsOfAFileOfOursIsRefused)
{
    ASSERT_TRUE(security_forge(path.c_str(), name.c_str(), 0)); // right in everything but that it is a file
    std::unique_ptr<security_attacker, void (*)(security_attacker *)> attacker(
        security_pose(kAttacker, begin.c_str(), path.c_str()), security_free);
    ASSERT_NE(nullptr, attacker);
    EXPECT_EQ("SPORK_DENIED", open());
}

TEST_F(SecurityPose, ThatTellsOfSomethingElseIsNotEvenOpened)
{
    ASSERT_EQ(0, mkfifo(path.c_str(), 0600));
    ASSERT_EQ(0, chmod(path.c_str(), 0666)); // as a device whose opening does something; this one tells of it
    std::unique_ptr<security_attacker, void (*)(security_attacker *)> attacker(
        security_pose(kAttacker, begin.c_str(), path.c_str()), security_free);
    ASSERT_NE(nullptr, attacker);
    EXPECT_EQ("SPORK_DENIED", open());
    EXPECT_FALSE(security_bitten(attacker.get(), 300));
    FILE *writer = fopen(path.c_str(), "r+"); // it would have seen it
    ASSERT_NE(nullptr, writer);
    fclose(writer);
    EXPECT_TRUE(security_bitten(attacker.get(), kWatchdogMs));
}

TEST_F(SecurityPose, ThatIsAlreadyTakenIsTold)
{
    std::unique_ptr<security_attacker, void (*)(security_attacker *)> attacker(
        security_pose(kAttacker, begin.c_str(), nullptr), security_free);
    ASSERT_NE(nullptr, attacker);
    EXPECT_EQ(nullptr, spork_shm_create(name.c_str(), 100, SPORK_CREATOR));
    EXPECT_EQ("SPORK_EXISTS", last());
    EXPECT_EQ("SPORK_NOT_FOUND", open());
    attacker.reset();
    spork_shm *block = spork_shm_create(name.c_str(), 100, SPORK_CREATOR);
    EXPECT_NE(nullptr, block) << spork_error();
    spork_shm_free(block);
}
#endif

#ifdef _WIN32
TEST(Security, NamedSectionsAndPipesAreForTheirUserAlone)
{
    const std::string name = fresh_name("list");
    spork_shm *block = spork_shm_create(name.c_str(), 100, SPORK_CREATOR);
    ASSERT_NE(nullptr, block) << spork_error();
    EXPECT_STREQ("", security_wrong_list(SECURITY_SECTION, name.c_str(), 0));
    spork_shm_free(block);
    spork_connection *reader = nullptr, *writer = nullptr;
    ASSERT_EQ(SPORK_OK, spork_pipe(&reader, &writer));
    const spork_native handle = spork_connection_detach(reader);
    EXPECT_STREQ("", security_wrong_list(SECURITY_HANDLE, nullptr, handle));
    security_close(reinterpret_cast<void *>(handle));
    spork_connection_free(writer);
}

TEST(Security, ASectionOfSomebodyElseUnderOurNameIsRefused)
{
    const std::string name = fresh_name("posed");
    void *section = security_pose_section(name.c_str());
    if (section == nullptr) GTEST_SKIP() << "this user cannot make something that is somebody else's";
    EXPECT_EQ(nullptr, spork_shm_open(name.c_str()));
    EXPECT_EQ("SPORK_DENIED", last());
    EXPECT_EQ(nullptr, spork_shm_create(name.c_str(), 100, SPORK_CREATOR));
    security_close(section);
    spork_shm *block = spork_shm_create(name.c_str(), 100, SPORK_CREATOR);
    EXPECT_NE(nullptr, block) << spork_error();
    spork_shm_free(block);
}
#endif

} // namespace
