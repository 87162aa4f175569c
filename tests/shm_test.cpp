// Shared memory: what several processes see in it, how long it lasts, what a name is worth, and what is left behind.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "alloc.h"
#include "books.h"
#include "child.h"
#include "fault.h"
#include "harness/deny.h"
#include "harness/queues.h"
#include "harness/shms.h"
#include "spork_config.h"

#ifndef _WIN32
#include <csignal>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace {

constexpr size_t kKiB = 1024, kMiB = 1024 * 1024;
const std::string kOk = "SPORK_OK", kNotFound = "SPORK_NOT_FOUND", kExists = "SPORK_EXISTS";

bool native() { return !harness_instrumented() && !harness_wine(); }

std::string last() { return spork_status_name(spork_last_status()); }

// Of this process: other tests run beside it.
std::string token() { return "shmtest-" + std::to_string(spork_getpid()) + "-"; }

// A name that nobody has; and nobody has it after the test.
class Name {
  public:
    explicit Name(const std::string &what = "block") : name_(token() + std::to_string(count_++) + "-" + what) {}
    Name(const Name &) = delete;
    Name &operator=(const Name &) = delete;
    ~Name() { spork_shm_remove(name_.c_str()); }
    const char *c() const { return name_.c_str(); }
    operator const std::string &() const { return name_; } // NOLINT: it stands for the name

  private:
    std::string name_;
    static inline int count_ = 0;
};

// A block that is freed at the end of its scope, unless it was moved away.
class Held {
  public:
    explicit Held(spork_shm *block) : block_(block) {}
    explicit Held(size_t size) : Held(spork_shm_new(size)) { EXPECT_NE(nullptr, block_) << spork_error(); }
    Held(const Name &name, size_t size, spork_lifetime lifetime) : Held(spork_shm_create(name.c(), size, lifetime))
    {
        EXPECT_NE(nullptr, block_) << spork_error();
    }
    Held(Held &&other) noexcept : block_(other.release()) {}
    Held(const Held &) = delete;
    Held &operator=(const Held &) = delete;
    ~Held() { free(); }
    spork_shm *get() const { return block_; }
    spork_shm *release() { return std::exchange(block_, nullptr); }
    void free() { spork_shm_free(release()); }
    unsigned char *bytes() const { return static_cast<unsigned char *>(spork_shm_data(block_)); }
    size_t size() const { return spork_shm_size(block_); }
    void fill(unsigned seed) const { queues_fill(bytes(), size(), seed); }

  private:
    spork_shm *block_;
};

// "" for a block of that name, or why there is none.
std::string open_of(const std::string &name)
{
    Held found(spork_shm_open(name.c_str()));
    return found.get() != nullptr ? "" : last();
}

std::string sum_of(size_t size, unsigned seed)
{
    std::string bytes(size, '\0');
    queues_fill(bytes.data(), size, seed);
    return std::to_string(queues_sum(bytes.data(), size));
}

testing::AssertionResult holds(const Held &block, size_t size, unsigned seed)
{
    if (block.get() == nullptr) return testing::AssertionFailure() << "no block: " << spork_error();
    if (block.size() != size) return testing::AssertionFailure() << block.size() << " bytes instead of " << size;
    if (block.bytes() == nullptr) return testing::AssertionFailure() << "no data: " << spork_error();
    std::string expected(size, '\0');
    queues_fill(expected.data(), size, seed);
    auto at = std::mismatch(expected.begin(), expected.end(), reinterpret_cast<char *>(block.bytes())).first;
    if (at == expected.end()) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "byte " << at - expected.begin() << " is another one";
}

testing::AssertionResult zeroed(const Held &block)
{
    for (size_t i = 0; i < block.size(); i++)
        if (block.bytes()[i] != 0) return testing::AssertionFailure() << "byte " << i << " is " << +block.bytes()[i];
    return testing::AssertionSuccess();
}

const char *word_for(spork_lifetime lifetime) { return lifetime == SPORK_MANUAL ? "manual" : "creator"; }
const spork_lifetime kLifetimes[] = {SPORK_CREATOR, SPORK_MANUAL};

std::string create_line(int slot, const std::string &name, size_t size, spork_lifetime lifetime)
{
    return "create " + std::to_string(slot) + " " + name + " " + std::to_string(size) + " " + word_for(lifetime);
}

std::string without_sentence(std::string line, std::string *sentence)
{
    size_t bar = line.find('|');
    *sentence = bar == std::string::npos ? "" : line.substr(bar + 1);
    return line.substr(0, bar);
}

// An unrelated program that does what it is told.
class Program {
  public:
    explicit Program(const char *argument = "") : program_(shms_run(argument)) {}
    Program(const Program &) = delete;
    Program &operator=(const Program &) = delete;
    ~Program() { shms_free(program_); }
    void begin(const std::string &line) { EXPECT_TRUE(shms_tell(program_, line.c_str())); }
    std::string answer()
    {
        const char *line = harness_line(program_->program);
        return without_sentence(line != nullptr ? line : "nothing", &sentence);
    }
    std::string does(const std::string &line)
    {
        begin(line);
        return answer();
    }
    int end()
    {
        begin("exit");
        return harness_wait(program_->program);
    }
    void kill()
    {
        harness_kill(program_->program);
        harness_wait(program_->program);
    }
    int wait() { return harness_wait(program_->program); }
    std::string sentence;

  private:
    shms_program *program_;
};

// A child that does what it is told; slot 0 is what it was given.
class Actor {
  public:
    Actor() : child_(shms_act, spork_pack(harness_give(to_.reader), harness_give(from_.writer))) { start(); }
    explicit Actor(spork_item block)
        : child_(shms_act, spork_pack(harness_give(to_.reader), harness_give(from_.writer), block))
    {
        start();
    }
    explicit Actor(spork_shm *block) : Actor(spork__as_shm(block)) {}
    Actor(spork_shm *block, spork_connection *connection)
        : child_(shms_act,
                 spork_pack(harness_give(to_.reader), harness_give(from_.writer), block, spork_move(connection)))
    {
        start();
    }
    std::string does(const std::string &command)
    {
        std::string line = command + "\n";
        EXPECT_TRUE(harness_write(to_.writer, line.data(), line.size()));
        line.clear();
        for (char byte; harness_read(from_.reader, &byte, 1) == 1 && byte != '\n';) line += byte;
        return without_sentence(line, &sentence);
    }
    int end()
    {
        to_.close_writer();
        return child_.join();
    }
    void kill()
    {
        EXPECT_EQ(SPORK_OK, spork_process_kill(child_.get())) << spork_error();
        child_.join();
    }
    std::string sentence;

  private:
    void start()
    {
        EXPECT_EQ(SPORK_OK, child_.start()) << spork_error();
        to_.close_reader();
        from_.close_writer();
    }
    Pipe to_, from_;
    Child child_;
};

// A process that somebody else started, and that nobody else ends.
class Stranger {
  public:
    explicit Stranger(const std::string &answer)
        : pid_(answer.rfind("SPORK_OK ", 0) == 0 ? std::stoi(answer.substr(9)) : 0)
    {
        EXPECT_GT(pid_, 0) << answer;
    }
    Stranger(const Stranger &) = delete;
    Stranger &operator=(const Stranger &) = delete;
    ~Stranger()
    {
#ifndef _WIN32
        if (pid_ > 0) ::kill(pid_, SIGKILL);
#endif
    }
    bool lives() const { return harness_pid_exists(pid_); }

  private:
    int pid_;
};

class Shm : public Books {
  protected:
    void SetUp() override
    {
#ifndef _WIN32
        signal(SIGPIPE, SIG_IGN); // a failing test says so
#endif
        static bool warm = false; // the first of each lets Spork open what it keeps
        if (!warm) {
            Held block(5000);
            Actor actor(block.get());
            ASSERT_EQ(kOk, actor.does("fill 0 1"));
            ASSERT_EQ(0, actor.end());
            for (spork_lifetime lifetime : kLifetimes) {
                Name name;
                Held made(name, 100, lifetime);
                ASSERT_EQ("", open_of(name));
            }
            spork_connection *a = nullptr, *b = nullptr;
            ASSERT_EQ(SPORK_OK, spork_pipe_duplex(&a, &b));
            spork_connection_free(a);
            spork_connection_free(b);
            std::thread([] { spork_shm_new(0); }).join();
            warm = true;
        }
        open_books();
    }
};

// ---- anonymous blocks ----

TEST_F(Shm, IsZeroedAlignedAndOfExactlyTheSizeAskedFor)
{
    for (size_t size : {size_t{1}, size_t{2}, size_t{7}, size_t{4095}, size_t{4096}, size_t{4097}, size_t{8191},
                        size_t{12345}, 64 * kKiB - 1, 64 * kKiB + 1, kMiB + 1, 16 * kMiB + 3}) {
        SCOPED_TRACE(size);
        for (int i = 0; i < 2; i++) { // the second may lie where the first one was
            Held block(size);
            ASSERT_NE(nullptr, block.bytes());
            EXPECT_EQ(size, block.size());
            EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(block.bytes()) % 4096);
            EXPECT_EQ(block.bytes(), block.bytes());
            EXPECT_TRUE(zeroed(block));
            memset(block.bytes(), 0xAB, size);
        }
    }
}

TEST_F(Shm, NamedOnesAreZeroedAlignedAndOfExactlyTheSizeAskedFor)
{
    for (spork_lifetime lifetime : kLifetimes)
        for (size_t size : {size_t{1}, size_t{4095}, size_t{4096}, size_t{4097}, size_t{12345}, kMiB + 1}) {
            SCOPED_TRACE(std::string(word_for(lifetime)) + " " + std::to_string(size));
            Name name;
            for (int i = 0; i < 2; i++) {
                Held made(name, size, lifetime);
                ASSERT_NE(nullptr, made.bytes());
                EXPECT_EQ(size, made.size());
                EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(made.bytes()) % 4096);
                EXPECT_TRUE(zeroed(made));
                memset(made.bytes(), 0xAB, size);
                Held opened(spork_shm_open(name.c()));
                ASSERT_NE(nullptr, opened.get()) << spork_error();
                EXPECT_EQ(size, opened.size());
                EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(opened.bytes()) % 4096);
                EXPECT_EQ(0, memcmp(made.bytes(), opened.bytes(), size));
                opened.free();
                made.free();
                if (lifetime == SPORK_MANUAL) {
                    EXPECT_EQ(SPORK_OK, spork_shm_remove(name.c())) << spork_error();
                }
            }
        }
}

TEST_F(Shm, ManyAreThereAtOnceAndEachIsAnother)
{
    std::vector<Held> many;
    for (unsigned i = 0; i < 100; i++) {
        many.emplace_back(1000 + i);
        many.back().fill(i);
    }
    for (unsigned i = 0; i < 100; i++) ASSERT_TRUE(holds(many[i], 1000 + i, i));
}

TEST_F(Shm, OfNoBytesIsInvalid)
{
    EXPECT_EQ(nullptr, spork_shm_new(0));
    EXPECT_EQ("SPORK_INVALID", last());
    EXPECT_STRNE("", spork_error());
    for (spork_lifetime lifetime : kLifetimes) {
        Name name;
        EXPECT_EQ(nullptr, spork_shm_create(name.c(), 0, lifetime));
        EXPECT_EQ("SPORK_INVALID", last());
        EXPECT_EQ(kNotFound, open_of(name));
    }
}

// In another program, which is killed if somebody begins to write all that.
TEST_F(Shm, AnAbsurdSizeIsNoSpace)
{
    Program program;
    if (!windows()) {
        ASSERT_EQ(kOk, program.does("cpu 5"));
    }
    std::vector<size_t> sizes = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4095, SIZE_MAX - 4096, SIZE_MAX - 65536};
    if (sizeof(size_t) == 8) // with 32 bits 2 GiB are none too many
        for (uint64_t size : {uint64_t{SIZE_MAX / 2}, uint64_t{SIZE_MAX / 2} + 1, uint64_t{SIZE_MAX} >> 16,
                              uint64_t{1} << 46, uint64_t{1} << 40})
            sizes.push_back(static_cast<size_t>(size));
    for (size_t size : sizes) {
        SCOPED_TRACE(size);
        auto refused = [](const std::string &status) {
            return status == "SPORK_NO_SPACE" || status == "SPORK_NO_MEMORY";
        };
        EXPECT_PRED1(refused, program.does("new 0 " + std::to_string(size))) << program.sentence;
        EXPECT_NE("", program.sentence);
        for (spork_lifetime lifetime : kLifetimes) {
            Name name;
            EXPECT_PRED1(refused, program.does(create_line(0, name, size, lifetime))) << program.sentence;
            EXPECT_NE("", program.sentence);
            EXPECT_EQ("SPORK_NOT_FOUND", program.does("open 0 " + std::string(name)));
            EXPECT_EQ("SPORK_OK", program.does(create_line(0, name, 100, lifetime))) << program.sentence;
            EXPECT_EQ("SPORK_OK", program.does("free 0"));
        }
    }
    EXPECT_EQ(0, program.end());
}

#ifdef __linux__
size_t memory_kib(const std::string &what)
{
    std::ifstream file("/proc/meminfo");
    for (std::string word, unit; file >> word;)
        if (size_t kib = 0; word == what + ":" && file >> kib) return kib;
    return 0;
}

TEST_F(Shm, MoreThanTheMachineHasIsNoSpace)
{
    if (memory_kib("SwapTotal") > 0) GTEST_SKIP() << "there is swap: nobody knows how much there is";
    if (!native()) GTEST_SKIP() << "sanitizers have another idea of memory";
    for (size_t kib : {memory_kib("MemTotal"), 2 * memory_kib("MemTotal")}) {
        Program program;
        ASSERT_EQ(kOk, program.does("cpu 2")); // before the machine is full
        EXPECT_EQ("SPORK_NO_SPACE", program.does("new 0 " + std::to_string(kib * kKiB))) << program.sentence;
        Name name;
        if (!SPORK_PORTABLE_POSIX) { // there it may lie on a disk
            EXPECT_EQ("SPORK_NO_SPACE", program.does(create_line(0, name, kib * kKiB, SPORK_CREATOR)));
        }
        EXPECT_EQ(0, program.end());
    }
}

TEST_F(Shm, MoreThanFourGigabytesAreOneBlock)
{
    if (sizeof(size_t) == 4) GTEST_SKIP() << "a 32-bit address space has no room for it";
    constexpr size_t kSize = size_t{5} << 30;
    if (!native()) GTEST_SKIP() << "sanitizers and wine have no room for 5 GiB";
    if (memory_kib("MemAvailable") < (size_t{8} << 20)) GTEST_SKIP() << "the machine has less than 8 GiB free";
    Held block(kSize + 1);
    ASSERT_NE(nullptr, block.get());
    EXPECT_EQ(kSize + 1, block.size());
    Actor actor(block.get());
    EXPECT_EQ("SPORK_OK " + std::to_string(kSize + 1), actor.does("size 0"));
    int value = 1;
    for (size_t place : {size_t{0}, kSize / 2, (size_t{4} << 30) - 1, size_t{4} << 30, kSize}) {
        const std::string at = std::to_string(place);
        EXPECT_EQ(0, block.bytes()[place]);
        block.bytes()[place] = static_cast<unsigned char>(value);
        EXPECT_EQ("SPORK_OK " + std::to_string(value), actor.does("peek 0 " + at));
        EXPECT_EQ(kOk, actor.does("poke 0 " + at + " " + std::to_string(value + 100)));
        EXPECT_EQ(value + 100, block.bytes()[place]);
        value++;
    }
    EXPECT_EQ(0, actor.end());
}

TEST_F(Shm, ALargeBlockIsThereOnceForBoth)
{
    constexpr size_t kSize = 64 * kMiB;
    if (!native()) GTEST_SKIP() << "a sanitizer's memory is not the program's";
    if (shms_share_kib() == 0) GTEST_SKIP() << "/proc/self/smaps_rollup is not there";
    const long before = shms_share_kib();
    Held block(kSize);
    ASSERT_NE(nullptr, block.get());
    memset(block.bytes(), 1, kSize);
    Pipe pipe;
    Child child(shms_memory, spork_pack(block.get(), harness_give(pipe.writer)));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    long theirs = 0;
    ASSERT_EQ(static_cast<long>(sizeof theirs), harness_read(pipe.reader, &theirs, sizeof theirs));
    EXPECT_EQ(7, block.bytes()[0]);
    EXPECT_EQ(0, memcmp(block.bytes(), block.bytes() + 1, kSize - 1)) << "all of it";
    const long ours = shms_share_kib() - before, whole = static_cast<long>(kSize / kKiB);
    EXPECT_GT(ours + theirs, whole / 2) << "it is not there at all";
    EXPECT_LT(ours + theirs, whole + whole / 4) << ours << " KiB and " << theirs << " KiB";
}

int shared_mappings()
{
    std::ifstream file("/proc/self/maps");
    int count = 0;
    for (std::string line; std::getline(file, line);)
        count += line.find("s ", line.find(' ') + 4) == line.find(' ') + 4;
    return count;
}

TEST_F(Shm, NothingStaysMappedAfterItsFree)
{
    const int before = shared_mappings();
    Name creators("c"), manual("m");
    for (int i = 0; i < 10; i++) {
        Held a(10000), b(creators, 10000, SPORK_CREATOR), c(manual, 10000, SPORK_MANUAL),
            d(spork_shm_open(creators.c()));
        EXPECT_LT(before, shared_mappings());
        EXPECT_EQ(SPORK_OK, spork_shm_remove(manual.c())) << spork_error();
    }
    EXPECT_EQ(before, shared_mappings());
}

// "The system frees it when the last of them has let go": a child that was not given it must not keep it.
TEST_F(Shm, AChildThatWasNotGivenItDoesNotKeepTheMemory)
{
    constexpr size_t kSize = 3 * kMiB;
    Held block(kSize), passed(kMiB);
    memset(block.bytes(), 1, kSize);
    Child child(shms_mappings, spork_pack(static_cast<uint64_t>(kSize)));
    EXPECT_EQ(0, child.run());
    Child other(shms_mappings, spork_pack(static_cast<uint64_t>(kMiB)));
    EXPECT_EQ(0, other.run());
}
#endif

TEST_F(Shm, FreedInOneProcessItIsGoneForThatOneOnly)
{
    Held block(5000);
    block.fill(1);
    Actor actor(block.get());
    spork_shm *gone = block.get();
    block.free();
    EXPECT_EQ(nullptr, spork_shm_data(gone));
    EXPECT_EQ("SPORK_INVALID", last());
    EXPECT_NE(std::string::npos, std::string(spork_error()).find("freed")) << spork_error();
    EXPECT_EQ(0u, spork_shm_size(gone));
    EXPECT_EQ("SPORK_OK " + sum_of(5000, 1), actor.does("sum 0"));
    EXPECT_EQ(0, actor.end());
}

TEST_F(Shm, OfNothingThereIsNothing)
{
    spork_shm_new(0);
    const std::string before = spork_error();
    EXPECT_EQ(nullptr, spork_shm_data(nullptr));
    EXPECT_EQ(before, spork_error()) << "NULL keeps the earlier sentence";
    EXPECT_EQ(0u, spork_shm_size(nullptr));
    spork_shm_free(nullptr);
}

TEST_F(Shm, OtherObjectsAreNoBlocksAndABlockIsNoOther)
{
    std::unique_ptr<spork_queue, void (*)(spork_queue *)> queue(spork_queue_new(0, 0), spork_queue_free);
    void *cast = queue.get();
    EXPECT_EQ(nullptr, spork_shm_data(static_cast<spork_shm *>(cast)));
    EXPECT_EQ("SPORK_INVALID", last());
    EXPECT_STRNE("", spork_error());
    EXPECT_EQ(0u, spork_shm_size(static_cast<spork_shm *>(cast)));
    Held block(100);
    block.fill(1);
    cast = block.get();
    EXPECT_EQ(SPORK_INVALID, spork_queue_put(static_cast<spork_queue *>(cast), spork_pack(1), 0));
    EXPECT_EQ(SPORK_INVALID, spork_lock_acquire(static_cast<spork_lock *>(cast), 0));
    EXPECT_EQ(SPORK_INVALID, spork_connection_send(static_cast<spork_connection *>(cast), spork_pack(1), 0));
    EXPECT_TRUE(holds(block, 100, 1));
    EXPECT_EQ(SPORK_OK, spork_queue_put(queue.get(), spork_pack(1), 0)) << spork_error();
    spork_args args = spork_pack(block.get());
    spork_queue *wrong = nullptr;
    int number = 0;
    EXPECT_EQ(SPORK_INVALID, spork_unpack(&args, &wrong));
    EXPECT_EQ(SPORK_INVALID, spork_unpack(&args, &number));
}

// ---- given to other processes ----

TEST_F(Shm, AChildSeesWhatWeWriteAndWeWhatItWrites)
{
    for (size_t size : {size_t{1}, size_t{4097}, kMiB + 1}) {
        SCOPED_TRACE(size);
        Held block(size);
        block.fill(1);
        Actor actor(block.get());
        EXPECT_EQ("SPORK_OK " + std::to_string(size), actor.does("size 0"));
        EXPECT_EQ("SPORK_OK 0", actor.does("data 0")) << "it is aligned there, too";
        EXPECT_EQ("SPORK_OK " + sum_of(size, 1), actor.does("sum 0"));
        EXPECT_EQ(kOk, actor.does("fill 0 2"));
        EXPECT_TRUE(holds(block, size, 2));
        block.fill(3); // after its start
        EXPECT_EQ("SPORK_OK " + sum_of(size, 3), actor.does("sum 0"));
        EXPECT_EQ(kOk, actor.does("free 0"));
        EXPECT_TRUE(holds(block, size, 3));
        EXPECT_EQ(0, actor.end());
        EXPECT_TRUE(holds(block, size, 3));
    }
}

TEST_F(Shm, AKilledChildLeavesItToTheOthers)
{
    Held block(100000);
    Actor one(block.get()), two(block.get());
    EXPECT_EQ(kOk, one.does("fill 0 9"));
    one.kill();
    EXPECT_EQ("SPORK_OK " + sum_of(100000, 9), two.does("sum 0"));
    EXPECT_TRUE(holds(block, 100000, 9));
    EXPECT_EQ(0, two.end());
}

TEST_F(Shm, GivenTwiceItIsTheSameMemory)
{
    Held block(5000);
    Child child(shms_two, spork_pack(block.get(), block.get()));
    EXPECT_EQ(0, child.run());
    EXPECT_EQ(3, block.bytes()[0]);
    EXPECT_EQ(4, block.bytes()[4999]);
}

TEST_F(Shm, GoesFromChildToChildsChild)
{
    Held block(10);
    Child child(shms_relay, spork_pack(block.get(), 3));
    EXPECT_EQ(0, child.run());
    for (int i = 0; i < 4; i++) EXPECT_EQ(100 + i, block.bytes()[i]);
    EXPECT_EQ(0, block.bytes()[4]);
}

TEST_F(Shm, AtomicsInItWorkBetweenProcesses)
{
    const int count = harness_count(100000);
    Held block(sizeof(int));
    Child one(shms_count, spork_pack(block.get(), count)), two(shms_count, spork_pack(block.get(), count));
    ASSERT_EQ(SPORK_OK, one.start()) << spork_error();
    ASSERT_EQ(SPORK_OK, two.start()) << spork_error();
    EXPECT_EQ(0, one.join());
    EXPECT_EQ(0, two.join());
    int sum = 0;
    memcpy(&sum, block.bytes(), sizeof sum);
    EXPECT_EQ(2 * count, sum);
}

TEST_F(Shm, MovedToAChildItIsGoneHere)
{
    Held block(5000);
    block.fill(1);
    spork_shm *ours = block.get();
    Actor actor(spork_move(ours));
    block.release();
    EXPECT_EQ(nullptr, spork_shm_data(ours));
    EXPECT_EQ("SPORK_INVALID", last());
    EXPECT_EQ("SPORK_OK " + sum_of(5000, 1), actor.does("sum 0"));
    EXPECT_EQ(0, actor.end());
}

TEST_F(Shm, AChildThatWasNotGivenItCannotUseIt)
{
    if (spork_get_start_method() != SPORK_FORK) GTEST_SKIP() << "only a forked child has the address at all";
    Held block(5000);
    block.fill(1);
    Child child(shms_not_shared, spork_pack(reinterpret_cast<uintptr_t>(block.get())));
    EXPECT_EQ(0, child.run());
    EXPECT_TRUE(holds(block, 5000, 1));
}

class Duplex {
  public:
    Duplex() { EXPECT_EQ(SPORK_OK, spork_pipe_duplex(&a, &b)) << spork_error(); }
    ~Duplex()
    {
        spork_connection_free(a);
        spork_connection_free(b);
    }
    Duplex(const Duplex &) = delete;
    Duplex &operator=(const Duplex &) = delete;
    // The block in the next message; it is the caller's.
    static Held receive(spork_connection *from)
    {
        spork_args *message = nullptr;
        spork_shm *block = nullptr;
        EXPECT_EQ(SPORK_OK, spork_connection_recv(from, &message, kWatchdogMs)) << spork_error();
        EXPECT_EQ(SPORK_OK, spork_unpack(message, &block)) << spork_error();
        EXPECT_EQ(SPORK_OK, spork_keep(block)) << spork_error();
        spork_args_free(message);
        return Held(block);
    }
    spork_connection *a = nullptr, *b = nullptr;
};

TEST_F(Shm, TravelsOverADuplexConnection)
{
    Duplex duplex;
    Held first(10), block(70001);
    Actor actor(first.get(), std::exchange(duplex.b, nullptr));
    block.fill(1);
    ASSERT_EQ(SPORK_OK, spork_connection_send(duplex.a, spork_pack(block.get()), kWatchdogMs)) << spork_error();
    ASSERT_EQ(kOk, actor.does("recv 1")) << actor.sentence;
    EXPECT_EQ("SPORK_OK 70001", actor.does("size 1"));
    EXPECT_EQ("SPORK_OK " + sum_of(70001, 1), actor.does("sum 1"));
    EXPECT_EQ(kOk, actor.does("fill 1 2"));
    EXPECT_TRUE(holds(block, 70001, 2));
    EXPECT_EQ(0, actor.end());
}

TEST_F(Shm, OutlivesTheProcessThatMadeIt)
{
    for (const char *how : {"send", "move"}) {
        SCOPED_TRACE(how);
        Duplex duplex;
        Held first(10);
        Actor actor(first.get(), std::exchange(duplex.b, nullptr));
        ASSERT_EQ(kOk, actor.does("new 1 300001")) << actor.sentence;
        ASSERT_EQ(kOk, actor.does("fill 1 5"));
        ASSERT_EQ(kOk, actor.does(std::string(how) + " 1")) << actor.sentence;
        Held block = Duplex::receive(duplex.a);
        actor.kill();
        EXPECT_TRUE(holds(block, 300001, 5));
        Actor heir(block.get());
        EXPECT_EQ("SPORK_OK " + sum_of(300001, 5), heir.does("sum 0"));
        EXPECT_EQ(0, heir.end());
    }
}

TEST_F(Shm, UnpackedAndNotKeptItEndsWithItsMessage)
{
    Duplex duplex;
    Held block(100);
    ASSERT_EQ(SPORK_OK, spork_connection_send(duplex.a, spork_pack(block.get()), kWatchdogMs)) << spork_error();
    spork_args *message = nullptr;
    spork_shm *theirs = nullptr;
    ASSERT_EQ(SPORK_OK, spork_connection_recv(duplex.b, &message, kWatchdogMs)) << spork_error();
    ASSERT_EQ(SPORK_OK, spork_unpack(message, &theirs)) << spork_error();
    EXPECT_NE(block.get(), theirs);
    static_cast<char *>(spork_shm_data(theirs))[99] = 'x';
    EXPECT_EQ('x', block.bytes()[99]);
    spork_args_free(message);
    EXPECT_EQ(nullptr, spork_shm_data(theirs));
    EXPECT_EQ("SPORK_INVALID", last());
    EXPECT_EQ('x', block.bytes()[99]);
}

TEST_F(Shm, ThatCouldNotBeMovedIsStillOurs)
{
    Duplex duplex;
    Held block(100);
    block.fill(1);
    spork_connection_free(std::exchange(duplex.b, nullptr));
    EXPECT_EQ(SPORK_CLOSED, spork_connection_send(duplex.a, spork_pack(spork_move(block.get())), kWatchdogMs));
    EXPECT_TRUE(holds(block, 100, 1));
}

TEST_F(Shm, TravelsNeitherByQueueNorOneWay)
{
    Held block(100);
    block.fill(1);
    spork_connection *reader = nullptr, *writer = nullptr;
    ASSERT_EQ(SPORK_OK, spork_pipe(&reader, &writer));
    EXPECT_EQ(SPORK_UNSUPPORTED, spork_connection_send(writer, spork_pack(spork_move(block.get())), 0));
    EXPECT_STRNE("", spork_error());
    spork_connection_free(reader);
    spork_connection_free(writer);
    spork_queue *queue = spork_queue_new(0, 0);
    EXPECT_EQ(SPORK_UNSUPPORTED, spork_queue_put(queue, spork_pack(spork_move(block.get())), 0));
    EXPECT_STRNE("", spork_error());
    spork_queue_free(queue);
    EXPECT_TRUE(holds(block, 100, 1));
}

TEST_F(Shm, ThreadsMakeAndFreeThemAtOnce)
{
    std::atomic<int> wrong{0};
    {
        const std::string base = token() + "thread";
        std::vector<std::unique_ptr<Thread>> threads;
        for (int t = 0; t < 4; t++)
            threads.push_back(std::make_unique<Thread>([t, &wrong, &base] {
                const std::string mine = base + std::to_string(t);
                for (int i : repeat(200)) {
                    Held block(spork_shm_new(1000 + static_cast<size_t>(i)));
                    Held named(spork_shm_create(mine.c_str(), 1000, i % 2 == 0 ? SPORK_CREATOR : SPORK_MANUAL));
                    Held opened(spork_shm_open(mine.c_str()));
                    if (block.get() == nullptr || named.get() == nullptr || opened.get() == nullptr) {
                        wrong++;
                        continue;
                    }
                    named.fill(static_cast<unsigned>(i));
                    if (!holds(opened, 1000, static_cast<unsigned>(i)) || !zeroed(block)) wrong++;
                    opened.free();
                    named.free();
                    if (i % 2 == 1 && spork_shm_remove(mine.c_str()) != SPORK_OK) wrong++;
                }
            }));
    }
    EXPECT_EQ(0, wrong.load());
}

TEST_F(Shm, OfThreadsThatWantOneNameOneGetsIt)
{
    for (int i : repeat(100)) {
        Name name;
        std::atomic<int> won{0}, lost{0}, ready{0};
        std::vector<Held> made;
        for (int t = 0; t < 3; t++) made.emplace_back(static_cast<spork_shm *>(nullptr));
        {
            std::vector<std::unique_ptr<Thread>> threads;
            for (size_t t = 0; t < 3; t++)
                threads.push_back(std::make_unique<Thread>([&, t] {
                    for (ready++; ready < 3;) std::this_thread::yield();
                    spork_shm *block = spork_shm_create(name.c(), 100, kLifetimes[(static_cast<size_t>(i) >> t) % 2]);
                    if (block != nullptr) {
                        won++;
                        spork_shm *empty = made[t].release();
                        spork_shm_free(empty);
                        new (&made[t]) Held(block);
                    } else if (spork_last_status() == SPORK_EXISTS)
                        lost++;
                }));
        }
        ASSERT_EQ(1, won.load()) << i;
        ASSERT_EQ(2, lost.load()) << i;
    }
}

// ---- names ----

TEST_F(Shm, OfAnyProgramIsFoundByItsName)
{
    for (spork_lifetime lifetime : kLifetimes)
        for (size_t size : {size_t{1}, size_t{4097}, kMiB + 3}) {
            SCOPED_TRACE(std::string(word_for(lifetime)) + " " + std::to_string(size));
            Name name;
            Program maker;
            ASSERT_EQ(kOk, maker.does(create_line(0, name, size, lifetime))) << maker.sentence;
            ASSERT_EQ(kOk, maker.does("fill 0 1"));
            Held block(spork_shm_open(name.c()));
            ASSERT_TRUE(holds(block, size, 1));
            Program other;
            ASSERT_EQ(kOk, other.does("open 0 " + std::string(name))) << other.sentence;
            EXPECT_EQ("SPORK_OK " + std::to_string(size), other.does("size 0"));
            EXPECT_EQ("SPORK_OK " + sum_of(size, 1), other.does("sum 0"));
            EXPECT_EQ(kOk, other.does("fill 0 2"));
            EXPECT_TRUE(holds(block, size, 2));
            EXPECT_EQ("SPORK_OK " + sum_of(size, 2), maker.does("sum 0"));
            block.fill(3);
            EXPECT_EQ("SPORK_OK " + sum_of(size, 3), maker.does("sum 0"));
            EXPECT_EQ(0, other.end());
            EXPECT_EQ(0, maker.end());
            EXPECT_TRUE(holds(block, size, 3));
        }
}

TEST_F(Shm, ANameThatExistsIsRefusedWhateverTheLifetimes)
{
    for (spork_lifetime first : kLifetimes)
        for (spork_lifetime second : kLifetimes) {
            SCOPED_TRACE(std::string(word_for(first)) + ", then " + word_for(second));
            Name name;
            Program other;
            Held block(name, 5000, first);
            block.fill(1);
            EXPECT_EQ(nullptr, spork_shm_create(name.c(), 10, second));
            EXPECT_EQ(kExists, last());
            EXPECT_NE(std::string::npos, std::string(spork_error()).find(name.c())) << spork_error();
            EXPECT_EQ(kExists, other.does(create_line(0, name, 10, second)));
            EXPECT_NE("", other.sentence);
            EXPECT_TRUE(holds(block, 5000, 1));
            EXPECT_TRUE(holds(Held(spork_shm_open(name.c())), 5000, 1));
            block.free();
            if (first == SPORK_MANUAL) {
                EXPECT_EQ(kExists, other.does(create_line(0, name, 10, second)));
                EXPECT_EQ(SPORK_OK, spork_shm_remove(name.c())) << spork_error();
            }
            EXPECT_EQ(kOk, other.does(create_line(0, name, 10, second))) << other.sentence;
            EXPECT_EQ(0, other.end());
        }
}

TEST_F(Shm, WhatIsNotThereIsNotFound)
{
    Name name;
    EXPECT_EQ(nullptr, spork_shm_open(name.c()));
    EXPECT_EQ(kNotFound, last());
    EXPECT_NE(std::string::npos, std::string(spork_error()).find(name.c())) << spork_error();
    EXPECT_EQ(SPORK_NOT_FOUND, spork_shm_remove(name.c()));
    EXPECT_NE(std::string::npos, std::string(spork_error()).find(name.c())) << spork_error();
}

TEST_F(Shm, NamesAreOfLettersDigitsDotsLinesAndDashes)
{
    const std::string base = token();
    std::vector<std::string> good = {base + "a",
                                     base + ".",
                                     base + "..",
                                     base + "a.b",
                                     base + "-",
                                     base + "_",
                                     "_" + base,
                                     "-" + base,
                                     "0" + base,
                                     "Z" + base,
                                     base + std::string(64 - base.size(), 'x'),
                                     base + "a.",
                                     base + "nul",
                                     base + "tmp",
                                     base + "lock",
                                     base + "x.tmp"};
    for (const std::string &name : good)
        for (spork_lifetime lifetime : kLifetimes) {
            SCOPED_TRACE(name + " " + word_for(lifetime));
            Held block(spork_shm_create(name.c_str(), 100, lifetime));
            ASSERT_NE(nullptr, block.get()) << spork_error();
            block.fill(1);
            EXPECT_TRUE(holds(Held(spork_shm_open(name.c_str())), 100, 1));
            block.free();
            if (lifetime == SPORK_MANUAL) {
                EXPECT_EQ(SPORK_OK, spork_shm_remove(name.c_str())) << spork_error();
            }
            EXPECT_EQ(kNotFound, open_of(name));
        }
    const std::vector<std::string> bad = {"",
                                          ".",
                                          "..",
                                          ".a",
                                          "." + base,
                                          std::string(65, 'a'),
                                          std::string(300, 'a'),
                                          std::string(100000, 'a'),
                                          "a/b",
                                          "/a",
                                          "a/",
                                          "../a",
                                          "a\\b",
                                          "a b",
                                          " a",
                                          "a ",
                                          "a\n",
                                          "a\tb",
                                          "\x01",
                                          "a:b",
                                          "a*",
                                          "a?",
                                          "a%n%s",
                                          "a@b",
                                          "a~",
                                          "\xC3\xA4",
                                          "\xFF",
                                          "a\x7F",
                                          "a,b",
                                          "C:a",
                                          "a+b",
                                          "a|b",
                                          "a<b",
                                          "a\"b",
                                          "a'b",
                                          "a$b"};
    for (const std::string &name : bad) {
        SCOPED_TRACE(name.substr(0, 70));
        for (spork_lifetime lifetime : kLifetimes) {
            EXPECT_EQ(nullptr, spork_shm_create(name.c_str(), 100, lifetime));
            EXPECT_EQ("SPORK_INVALID", last());
            EXPECT_STRNE("", spork_error());
        }
        EXPECT_EQ(nullptr, spork_shm_open(name.c_str()));
        EXPECT_EQ("SPORK_INVALID", last());
        EXPECT_EQ(SPORK_INVALID, spork_shm_remove(name.c_str()));
    }
    EXPECT_EQ(nullptr, spork_shm_create(nullptr, 100, SPORK_CREATOR));
    EXPECT_EQ("SPORK_INVALID", last());
    EXPECT_EQ(nullptr, spork_shm_open(nullptr));
    EXPECT_EQ("SPORK_INVALID", last());
    EXPECT_EQ(SPORK_INVALID, spork_shm_remove(nullptr));
}

TEST_F(Shm, ALifetimeThatIsNoneIsInvalid)
{
    Name name;
    int none = 2;
    EXPECT_EQ(nullptr, spork_shm_create(name.c(), 100, static_cast<spork_lifetime>(none)));
    EXPECT_EQ("SPORK_INVALID", last());
    EXPECT_STRNE("", spork_error());
    EXPECT_EQ(kNotFound, open_of(name));
}

TEST_F(Shm, NamesThatDifferALittleAreOthers)
{
    for (spork_lifetime lifetime : kLifetimes) {
        Name base;
        const std::string names[] = {std::string(base) + "a",  std::string(base) + "A",  std::string(base) + "a.",
                                     std::string(base) + "a-", std::string(base) + "aa", std::string(base)};
        std::vector<Held> blocks;
        for (unsigned i = 0; i < 6; i++) {
            blocks.emplace_back(spork_shm_create(names[i].c_str(), 100 + i, lifetime));
            ASSERT_NE(nullptr, blocks.back().get()) << names[i] << " " << spork_error();
            blocks.back().fill(i);
        }
        for (unsigned i = 0; i < 6; i++)
            EXPECT_TRUE(holds(Held(spork_shm_open(names[i].c_str())), 100 + i, i)) << names[i];
        blocks.clear();
        for (const std::string &name : names) spork_shm_remove(name.c_str());
    }
}

TEST_F(Shm, OneProgramHasManyNames)
{
    const unsigned count = harness_wine() ? 20 : 100;
    Program other;
    std::vector<std::unique_ptr<Name>> names;
    std::vector<Held> blocks;
    for (unsigned i = 0; i < count; i++) {
        names.push_back(std::make_unique<Name>());
        blocks.emplace_back(*names[i], 100 + i, kLifetimes[i % 2]);
        blocks[i].fill(i);
    }
    for (unsigned i = 0; i < count; i += 7) {
        EXPECT_EQ(kOk, other.does("open 0 " + std::string(*names[i]))) << other.sentence;
        EXPECT_EQ("SPORK_OK " + sum_of(100 + i, i), other.does("sum 0"));
        EXPECT_EQ(kOk, other.does("free 0"));
    }
    EXPECT_EQ(0, other.end());
}

TEST_F(Shm, RemoveEndsTheNameOfAManualBlock)
{
    Name name;
    Program other;
    Held block(name, 5000, SPORK_MANUAL);
    block.fill(1);
    if (windows()) {
        if (!harness_wine()) { // which lets go of files that somebody has mapped
            EXPECT_EQ(SPORK_DENIED, spork_shm_remove(name.c()));
            EXPECT_EQ("SPORK_DENIED", other.does("remove " + std::string(name)));
        }
        EXPECT_TRUE(holds(block, 5000, 1));
        block.free();
        EXPECT_EQ(kOk, other.does("remove " + std::string(name))) << other.sentence;
    } else {
        EXPECT_EQ(kOk, other.does("remove " + std::string(name))) << other.sentence;
        EXPECT_TRUE(holds(block, 5000, 1)) << "who has it open keeps it";
    }
    EXPECT_EQ(kNotFound, open_of(name));
    EXPECT_EQ(kNotFound, other.does("open 0 " + std::string(name)));
    EXPECT_EQ(SPORK_NOT_FOUND, spork_shm_remove(name.c()));
    Held next(name, 77, SPORK_MANUAL);
    EXPECT_TRUE(zeroed(next));
    EXPECT_EQ(kOk, other.does("open 0 " + std::string(name))) << other.sentence;
    EXPECT_EQ("SPORK_OK 77", other.does("size 0"));
    EXPECT_EQ(0, other.end());
}

TEST_F(Shm, RemoveDoesNotTakeACreatorsName)
{
    Name name;
    Program other;
    Held block(name, 5000, SPORK_CREATOR);
    block.fill(1);
    EXPECT_EQ(SPORK_BAD_STATE, spork_shm_remove(name.c()));
    EXPECT_STRNE("", spork_error());
    EXPECT_EQ("SPORK_BAD_STATE", other.does("remove " + std::string(name)));
    EXPECT_NE("", other.sentence);
    EXPECT_TRUE(holds(Held(spork_shm_open(name.c())), 5000, 1));
    EXPECT_EQ(kOk, other.does("open 0 " + std::string(name))) << other.sentence;
    EXPECT_EQ(kOk, other.does("free 0"));
    block.free();
    EXPECT_EQ(SPORK_NOT_FOUND, spork_shm_remove(name.c()));
    EXPECT_EQ("SPORK_NOT_FOUND", other.does("remove " + std::string(name)));
    EXPECT_EQ(0, other.end());
}

// ---- how long a name lasts ----

enum End { kFree, kEnd, kKill };
const End kEnds[] = {kFree, kEnd, kKill};
const char *const kHow[] = {"free", "end", "kill"};

void end_by(Program &program, End how)
{
    if (how == kFree) {
        EXPECT_EQ(kOk, program.does("free 0"));
    } else if (how == kEnd)
        EXPECT_EQ(0, program.end());
    else
        program.kill();
}

TEST_F(Shm, ACreatorsNameEndsWithIt)
{
    for (End how : kEnds)
        for (spork_lifetime next : kLifetimes) {
            SCOPED_TRACE(std::string(kHow[how]) + ", then " + word_for(next));
            Name name;
            Program maker;
            ASSERT_EQ(kOk, maker.does(create_line(0, name, 5000, SPORK_CREATOR))) << maker.sentence;
            ASSERT_EQ(kOk, maker.does("fill 0 1"));
            ASSERT_EQ("", open_of(name));
            end_by(maker, how);
            EXPECT_EQ(kNotFound, open_of(name));
            EXPECT_EQ(SPORK_NOT_FOUND, spork_shm_remove(name.c()));
            Held block(name, 77, next);
            EXPECT_TRUE(zeroed(block));
            block.free();
        }
}

TEST_F(Shm, WhoHasItOpenKeepsTheMemoryAndNotTheName)
{
    for (End how : kEnds) {
        SCOPED_TRACE(kHow[how]);
        Name name;
        Program maker, other;
        ASSERT_EQ(kOk, maker.does(create_line(0, name, 5000, SPORK_CREATOR))) << maker.sentence;
        ASSERT_EQ(kOk, maker.does("fill 0 1"));
        Held block(spork_shm_open(name.c()));
        ASSERT_EQ(kOk, other.does("open 0 " + std::string(name))) << other.sentence;
        end_by(maker, how);
        EXPECT_TRUE(holds(block, 5000, 1));
        block.fill(2);
        EXPECT_EQ("SPORK_OK " + sum_of(5000, 2), other.does("sum 0")) << "it is still one memory";
        if (windows()) {
            EXPECT_EQ("", open_of(name)) << "there, it lasts as long as anybody has it";
            block.free();
            EXPECT_EQ(0, other.end());
            EXPECT_EQ(kNotFound, open_of(name));
            continue;
        }
        EXPECT_EQ(kNotFound, open_of(name));
        EXPECT_EQ(kNotFound, other.does("open 1 " + std::string(name)));
        Held next(name, 6000, SPORK_CREATOR);
        EXPECT_TRUE(zeroed(next));
        next.fill(3);
        EXPECT_TRUE(holds(block, 5000, 2));
        EXPECT_TRUE(holds(Held(spork_shm_open(name.c())), 6000, 3));
        block.free(); // of the earlier one
        EXPECT_TRUE(holds(Held(spork_shm_open(name.c())), 6000, 3));
        EXPECT_EQ(0, other.end());
        EXPECT_TRUE(holds(Held(spork_shm_open(name.c())), 6000, 3));
    }
}

TEST_F(Shm, TheEndOfSomebodyElseChangesNothing)
{
    for (spork_lifetime lifetime : kLifetimes)
        for (End how : kEnds) {
            SCOPED_TRACE(std::string(word_for(lifetime)) + " " + kHow[how]);
            Name name;
            Held block(name, 5000, lifetime);
            block.fill(1);
            Program other;
            ASSERT_EQ(kOk, other.does("open 0 " + std::string(name))) << other.sentence;
            end_by(other, how);
            EXPECT_TRUE(holds(block, 5000, 1));
            EXPECT_TRUE(holds(Held(spork_shm_open(name.c())), 5000, 1));
            EXPECT_EQ(nullptr, spork_shm_create(name.c(), 10, lifetime));
            EXPECT_EQ(kExists, last());
        }
}

TEST_F(Shm, ItsMakersFreeEndsANameThatTheMakerHasOpenTwice)
{
    Name name;
    Held made(name, 5000, SPORK_CREATOR), opened(spork_shm_open(name.c()));
    made.fill(1);
    Held(spork_shm_open(name.c())).free();
    EXPECT_EQ("", open_of(name)) << "only what create gave ends the name";
    made.free();
    EXPECT_TRUE(holds(opened, 5000, 1));
    EXPECT_EQ(windows() ? "" : kNotFound, open_of(name));
    opened.free();
    EXPECT_EQ(kNotFound, open_of(name));
}

TEST_F(Shm, AManualBlockOutlivesItsMakerAndIsWhole)
{
    for (End how : kEnds) {
        SCOPED_TRACE(kHow[how]);
        Name name;
        const size_t size = kMiB + 5;
        {
            Program maker;
            ASSERT_EQ(kOk, maker.does(create_line(0, name, size, SPORK_MANUAL))) << maker.sentence;
            ASSERT_EQ(kOk, maker.does("fill 0 1"));
            end_by(maker, how);
            if (how == kFree) {
                EXPECT_EQ(0, maker.end());
            }
        }
        Program other;
        ASSERT_EQ(kOk, other.does("open 0 " + std::string(name))) << other.sentence;
        EXPECT_EQ("SPORK_OK " + std::to_string(size), other.does("size 0"));
        EXPECT_EQ("SPORK_OK " + sum_of(size, 1), other.does("sum 0"));
        EXPECT_EQ(0, other.end());
        EXPECT_TRUE(holds(Held(spork_shm_open(name.c())), size, 1));
        EXPECT_EQ(kExists, [&] {
            spork_shm_create(name.c(), 10, SPORK_CREATOR);
            return last();
        }());
        EXPECT_EQ(SPORK_OK, spork_shm_remove(name.c())) << spork_error();
        EXPECT_EQ(kNotFound, open_of(name));
    }
}

TEST_F(Shm, TheEndOfAChildThatWasGivenANamedBlockDoesNotEndTheName)
{
    for (spork_lifetime lifetime : kLifetimes)
        for (End how : kEnds) {
            SCOPED_TRACE(std::string(word_for(lifetime)) + " " + kHow[how]);
            Name name;
            Held block(name, 5000, lifetime);
            Actor child(block.get());
            EXPECT_EQ(kOk, child.does("fill 0 1"));
            EXPECT_EQ(kOk, child.does("open 1 " + std::string(name))) << child.sentence;
            EXPECT_EQ("SPORK_OK " + sum_of(5000, 1), child.does("sum 1"));
            if (how == kFree) {
                EXPECT_EQ(kOk, child.does("free 0"));
                EXPECT_EQ(kOk, child.does("free 1"));
            } else if (how == kKill)
                child.kill();
            else
                EXPECT_EQ(0, child.end());
            EXPECT_TRUE(holds(Held(spork_shm_open(name.c())), 5000, 1));
        }
}

TEST_F(Shm, AChildsOwnNameEndsWithTheChild)
{
    for (End how : kEnds) {
        SCOPED_TRACE(kHow[how]);
        Name name;
        Actor child;
        ASSERT_EQ(kOk, child.does(create_line(0, name, 5000, SPORK_CREATOR))) << child.sentence;
        ASSERT_EQ(kOk, child.does("fill 0 1"));
        Held block(spork_shm_open(name.c()));
        EXPECT_TRUE(holds(block, 5000, 1));
        if (how == kFree) {
            EXPECT_EQ(kOk, child.does("free 0"));
        } else if (how == kKill)
            child.kill();
        else
            EXPECT_EQ(0, child.end());
        EXPECT_EQ(windows() ? "" : kNotFound, open_of(name));
        block.free();
        EXPECT_EQ(kNotFound, open_of(name));
    }
}

#ifndef _WIN32
// Under each start method: a child that lives on, with the block and without it, does not keep its maker's name.
TEST_F(Shm, AChildThatLivesOnDoesNotKeepItsCreatorsName)
{
    for (const char *command : {"start 0", "start -1", "fork"})
        for (End how : kEnds) {
            SCOPED_TRACE(std::string(command) + ", " + kHow[how]);
            Name name;
            Program maker;
            ASSERT_EQ(kOk, maker.does(create_line(0, name, 5000, SPORK_CREATOR))) << maker.sentence;
            ASSERT_EQ(kOk, maker.does("fill 0 1"));
            Stranger child(maker.does(command));
            Held block(spork_shm_open(name.c()));
            EXPECT_TRUE(holds(block, 5000, 1));
            end_by(maker, how);
            EXPECT_EQ(kNotFound, open_of(name));
            EXPECT_TRUE(child.lives());
            EXPECT_TRUE(holds(block, 5000, 1));
            Held next(name, 77, SPORK_CREATOR);
            EXPECT_TRUE(zeroed(next));
        }
}

int in_a_fork(const std::function<int()> &what)
{
    int pid = spork_fork();
    if (pid == 0) _exit(what());
    int status = 0;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

TEST_F(Shm, WhatAPlainForkFreesStaysTheMakers)
{
    for (spork_lifetime lifetime : kLifetimes) {
        SCOPED_TRACE(word_for(lifetime));
        Name name;
        Held block(name, 5000, lifetime), anonymous(5000);
        block.fill(1);
        anonymous.fill(2);
        EXPECT_EQ(0, in_a_fork([&] {
                      spork_shm_free(block.get());
                      spork_shm_free(anonymous.get());
                      return 0;
                  }));
        EXPECT_EQ(0, in_a_fork([&] { // its own is its own
                      Held found(spork_shm_open(name.c())), fresh(100);
                      return holds(found, 5000, 1) && zeroed(fresh) ? 0 : 1;
                  }));
        EXPECT_TRUE(holds(Held(spork_shm_open(name.c())), 5000, 1));
        EXPECT_TRUE(holds(anonymous, 5000, 2));
        block.free();
        EXPECT_EQ(lifetime == SPORK_MANUAL ? "" : kNotFound, open_of(name));
    }
}

TEST_F(Shm, ANameThatAPlainForkMadeEndsWithThatFork)
{
    Name name;
    EXPECT_EQ(0, in_a_fork([&] { return spork_shm_create(name.c(), 100, SPORK_CREATOR) != nullptr ? 0 : 1; }));
    EXPECT_EQ(kNotFound, open_of(name));
}

TEST_F(Shm, AnotherUserCannotHaveIt)
{
    if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
    for (spork_lifetime lifetime : kLifetimes) {
        SCOPED_TRACE(word_for(lifetime));
        Name name;
        Held block(name, 5000, lifetime);
        block.fill(1);
        Program nobody("nobody");
        const std::string open = "open 0 " + std::string(name), remove = "remove " + std::string(name);
        std::string status = nobody.does(open);
        EXPECT_TRUE(status == "SPORK_DENIED" || status == kNotFound) << status;
        status = nobody.does(remove);
        EXPECT_TRUE(status == "SPORK_DENIED" || status == kNotFound) << status;
        EXPECT_TRUE(holds(Held(spork_shm_open(name.c())), 5000, 1));
        Name theirs;
        EXPECT_EQ(kOk, nobody.does(create_line(1, theirs, 300, lifetime))) << nobody.sentence;
        EXPECT_NE("", open_of(theirs)) << "theirs is not ours";
        if (lifetime == SPORK_MANUAL) {
            EXPECT_EQ(kOk, nobody.does("remove " + std::string(theirs)));
        }
        EXPECT_EQ(0, nobody.end());
    }
}

#ifdef __linux__
TEST_F(Shm, AnotherUsersBlockThatPosesAsOursIsNotOpened)
{
    if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
    if (SPORK_PORTABLE_POSIX) GTEST_SKIP() << "names are files here, whose owner is asked for";
    Name name;
    Program nobody("nobody");
    ASSERT_EQ(kOk, nobody.does(create_line(1, name, 300, SPORK_CREATOR))) << nobody.sentence;
    ASSERT_EQ(kOk, nobody.does("pose " + std::string(name) + " 0"));
    EXPECT_EQ("SPORK_DENIED", open_of(name));
    Held block(name, 5000, SPORK_CREATOR);
    block.fill(1);
    EXPECT_TRUE(holds(Held(spork_shm_open(name.c())), 5000, 1)) << "ours is found beside it";
    EXPECT_EQ(0, nobody.end());
}
#endif
#endif

TEST_F(Shm, MovedAwayItsMakerHasFreedIt)
{
    Name name;
    Held block(name, 5000, SPORK_CREATOR);
    block.fill(1);
    spork_shm *ours = block.release();
    Actor child(spork_move(ours));
    EXPECT_EQ(nullptr, spork_shm_data(ours));
    EXPECT_EQ("SPORK_OK " + sum_of(5000, 1), child.does("sum 0"));
    EXPECT_EQ(windows() ? "" : kNotFound, open_of(name));
    EXPECT_EQ(0, child.end());
    if (windows()) // the child's handle goes a moment after the child
        harness_until([](void *user) { return open_of(static_cast<Name *>(user)->c()) == kNotFound; }, &name);
    EXPECT_EQ(kNotFound, open_of(name));
}

// ---- many at once, and many that die ----

TEST_F(Shm, OfTwoProgramsThatWantOneNameOneGetsIt)
{
    const std::string rounds = std::to_string(harness_count(500));
    Name arena("arena"), name("raced");
    Held meeting(arena, 4096, SPORK_MANUAL);
    Program one, two, watcher; // one's lifetime changes every round, two's every second
    for (Program *p : {&one, &two, &watcher}) ASSERT_EQ(kOk, p->does("open 0 " + std::string(arena))) << p->sentence;
    // On Windows whoever has it open would keep the name for the next round.
    if (!windows()) watcher.begin("race 0 2 " + rounds + " " + std::string(name));
    one.begin("race 0 0 " + rounds + " " + std::string(name));
    two.begin("race 0 1 " + rounds + " " + std::string(name));
    int wins = 0;
    for (Program *p : {&one, &two}) {
        std::string answer = p->answer();
        ASSERT_EQ(0u, answer.rfind("SPORK_OK ", 0)) << answer << " " << p->sentence;
        wins += std::stoi(answer.substr(9));
    }
    EXPECT_EQ(rounds, std::to_string(wins));
    if (!windows()) {
        std::string answer = watcher.answer();
        EXPECT_EQ(0u, answer.rfind("SPORK_OK ", 0)) << answer << " " << watcher.sentence;
    }
    EXPECT_EQ(kNotFound, open_of(name));
    for (Program *p : {&one, &two, &watcher}) EXPECT_EQ(0, p->end());
}

#ifndef _WIN32
// Where a creator's name is a file, the next user of any name removes those of the dead.
void let_the_next_user_clean()
{
#ifdef __linux__
    if (!SPORK_PORTABLE_POSIX) return;
#endif
    EXPECT_EQ(kNotFound, open_of(Name("nobodys")));
}

// What is there of Spork, but for what other tests have made meanwhile.
std::set<std::string> entries()
{
    std::set<std::string> all;
    for (const char *folder : {"/dev/shm", "/tmp"}) {
        DIR *d = opendir(folder);
        if (d == nullptr) continue;
        while (struct dirent *e = readdir(d)) {
            std::string name = e->d_name;
            bool others = name.find("shmtest-") != std::string::npos && name.find(token()) == std::string::npos;
            if (name.find("spork") != std::string::npos && !others) all.insert(std::string(folder) + "/" + name);
        }
        closedir(d);
    }
    return all;
}

// What other programs are about to make under a name that nobody looks for goes by itself, or with the next user: a leak stays.
std::string left_since(const std::set<std::string> &before)
{
    std::set<std::string> left = entries();
    for (const std::string &entry : before) left.erase(entry);
    for (double end = spork_time() + kWatchdogMs / 1000; !left.empty() && spork_time() < end; spork_sleep(1)) {
        let_the_next_user_clean();
        std::set<std::string> both;
        for (const std::string &entry : entries())
            if (left.count(entry) != 0) both.insert(entry);
        left = both;
    }
    std::string text;
    for (const std::string &entry : left) text += entry + "\n";
    return text;
}
// Where a name is a file, and the process alive that has it locked.
TEST_F(Shm, WhoAsksWhetherANamesProcessLivesIsNotTakenForIt)
{
    Name name;
    Actor creator;
    ASSERT_EQ(kOk, creator.does("create 0 " + std::string(name) + " 100 creator"));
    int fd = -1;
    std::string path;
    for (const char *directory : {"/dev/shm", "/tmp"}) {
        if (fd >= 0) break;
        path = std::string(directory) + "/spork-shm-" + std::to_string(geteuid()) + "-" + name.c() + ".own";
        fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    }
    if (fd < 0) GTEST_SKIP() << "skipped: names that end with their process are no files here";
    EXPECT_EQ("", open_of(name));
    creator.kill();
    ASSERT_EQ(0, flock(fd, LOCK_SH | LOCK_NB)); // as another does that uses any name
    EXPECT_EQ(kNotFound, open_of(name));
    EXPECT_NE(0, access(path.c_str(), F_OK)) << path << " is still there";
    close(fd);
}
#endif

void wait_until(double end)
{
    while (spork_time() < end) std::this_thread::yield();
}

// Who opens a name while its creator gives it up, and uses the descriptor's number for another block, gets the one or nothing.
TEST_F(Shm, ANameThatComesAndGoesIsWholeOrNotFound)
{
    Name creators("c"), manual("m");
    Held notes(4096);
    Child child(shms_storm, spork_pack(notes.get(), creators.c(), manual.c()));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    int whole = 0;
    for (int i : repeat(3000)) {
        Held block(spork_shm_open(creators.c()));
        if (block.get() == nullptr) {
            ASSERT_EQ(kNotFound, last()) << spork_error() << ", round " << i;
        } else {
            ASSERT_EQ(3000u, block.size()) << i;
            whole++;
        }
    }
    printf("%d were there\n", whole);
    EXPECT_EQ(SPORK_OK, spork_process_kill(child.get())) << spork_error();
    child.join();
    EXPECT_STREQ("", shms_storm_wrong(notes.get()));
    spork_shm_remove(manual.c());
}

TEST_F(Shm, ALastingNameThatComesAndGoesIsWholeOrNotFound)
{
    Name manual("m");
    Held notes(4096);
    Child child(shms_come_and_go, spork_pack(notes.get(), manual.c()));
    ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
    int whole = 0;
    for (int i : repeat(3000)) {
        Held block(spork_shm_open(manual.c()));
        if (block.get() == nullptr) {
            ASSERT_EQ(kNotFound, last()) << spork_error() << ", round " << i;
        } else {
            ASSERT_EQ(7000u, block.size()) << i;
            whole++;
        }
    }
    printf("%d were there, of %d\n", whole, shms_storm_rounds(notes.get()));
    EXPECT_EQ(SPORK_OK, spork_process_kill(child.get())) << spork_error();
    child.join();
    EXPECT_STREQ("", shms_storm_wrong(notes.get()));
    spork_shm_remove(manual.c());
}

TEST_F(Shm, CreatorsThatAreKilledAtAnyMomentLeaveNothing)
{
    std::minstd_rand random(storm_seed());
#ifndef _WIN32
    const std::set<std::string> before = entries();
#endif
    Name creators("c"), manual("m");
    Held notes(4096);
    int whole = 0;
    for (int i : repeat(1000, 4, 3)) {
        spork_process_options o = options_for(shms_storm, spork_pack(notes.get(), creators.c(), manual.c()));
        if (!windows() && i % 10 != 0) o.method = SPORK_FORK; // the quickest; others now and then
        Child child(spork_process_new_with(&o));
        const int begun = shms_storm_rounds(notes.get());
        ASSERT_EQ(SPORK_OK, child.start()) << spork_error();
        std::pair<spork_shm *, int> state = {notes.get(), begun};
        ASSERT_TRUE(harness_until(
            [](void *user) {
                auto *s = static_cast<std::pair<spork_shm *, int> *>(user);
                return shms_storm_rounds(s->first) > s->second || shms_storm_wrong(s->first)[0] != 0;
            },
            &state));
        wait_until(spork_time() + static_cast<double>(random() % 1000) * 1e-6);
        ASSERT_EQ(SPORK_OK, spork_process_kill(child.get())) << spork_error();
        ASSERT_EQ(-9, child.join()) << shms_storm_wrong(notes.get());
        ASSERT_STREQ("", shms_storm_wrong(notes.get()));
        ASSERT_EQ(kNotFound, open_of(creators)) << i;
        Held left(spork_shm_open(manual.c()));
        if (left.get() == nullptr) {
            ASSERT_EQ(kNotFound, last()) << spork_error() << ", round " << i;
        } else {
            ASSERT_EQ(7000u, left.size());
            ASSERT_NE(nullptr, left.bytes());
            whole++;
        }
        left.free();
        if (i % 3 == 0) { // else the next one finds it
            spork_status status = spork_shm_remove(manual.c());
            ASSERT_TRUE(status == SPORK_OK || status == SPORK_NOT_FOUND) << spork_error();
        }
    }
    printf("%d left a manual block\n", whole);
    spork_shm_remove(manual.c());
#ifndef _WIN32
    EXPECT_EQ("", left_since(before));
#endif
}

#ifndef _WIN32
TEST_F(Shm, NothingIsLeftByWhatEndsAsItShould)
{
    const std::set<std::string> before = entries();
    Name creators("c"), manual("m");
    {
        Program maker;
        ASSERT_EQ(kOk, maker.does(create_line(0, creators, 5000, SPORK_CREATOR)));
        ASSERT_EQ(kOk, maker.does(create_line(1, manual, 5000, SPORK_MANUAL)));
        ASSERT_EQ(kOk, maker.does("new 2 5000"));
        EXPECT_EQ(kOk, maker.does("remove " + std::string(manual)));
        EXPECT_EQ(0, maker.end());
    }
    EXPECT_EQ("", left_since(before));
}

// The file of a manual block.
std::string file_of(const std::string &name)
{
    for (const std::string &entry : entries())
        if (entry.size() > name.size() && entry.compare(entry.size() - name.size(), name.size(), name) == 0)
            return entry;
    return "";
}

TEST_F(Shm, OnlyItsUserCanReadTheFile)
{
    Name name;
    mode_t before = umask(0);
    Held block(name, 5000, SPORK_MANUAL);
    umask(before);
    const std::string file = file_of(name);
    ASSERT_NE("", file);
    struct stat is = {};
    ASSERT_EQ(0, stat(file.c_str(), &is));
    EXPECT_EQ(0600u, is.st_mode & 0777);
    block.free();
    ASSERT_EQ(SPORK_OK, spork_shm_remove(name.c())) << spork_error();
    before = umask(0777);
    Held closed(name, 5000, SPORK_MANUAL);
    umask(before);
    EXPECT_EQ("", open_of(name)) << "whatever the umask is";
}

TEST_F(Shm, ADamagedFileIsABadMessage)
{
    const std::string other(5000, 'x');
    struct Damage {
        const char *what;
        std::function<void(const std::string &)> apply;
    };
    auto write = [](const std::string &file, const std::string &bytes) {
        std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
    };
    const Damage damages[] = {
        {"other bytes", [&](const std::string &file) { write(file, other); }},
        {"zeroes", [&](const std::string &file) { write(file, std::string(20000, '\0')); }},
        {"ones", [&](const std::string &file) { write(file, std::string(20000, '\xFF')); }},
        {"no bytes", [&](const std::string &file) { write(file, ""); }},
        {"one byte", [&](const std::string &file) { write(file, "s"); }},
        {"half of it", [](const std::string &file) { ASSERT_EQ(0, truncate(file.c_str(), 2500)); }},
        {"the first page", [](const std::string &file) { ASSERT_EQ(0, truncate(file.c_str(), 4096)); }},
    };
    for (const Damage &damage : damages) {
        SCOPED_TRACE(damage.what);
        Name name;
        Held(name, 5000, SPORK_MANUAL).free();
        const std::string file = file_of(name);
        ASSERT_NE("", file);
        damage.apply(file);
        EXPECT_EQ("SPORK_BAD_MESSAGE", open_of(name));
        EXPECT_NE(std::string::npos, std::string(spork_error()).find(name.c())) << spork_error();
        EXPECT_EQ(nullptr, spork_shm_create(name.c(), 10, SPORK_MANUAL));
        EXPECT_EQ(kExists, last());
        EXPECT_EQ(SPORK_OK, spork_shm_remove(name.c())) << "else nobody gets rid of it: " << spork_error();
        EXPECT_EQ(kNotFound, open_of(name));
        unlink(file.c_str());
    }
}

TEST_F(Shm, AnyByteOfTheFileMayBeWrong)
{
    constexpr size_t kSize = 5000;
    Name name;
    Held(name, kSize, SPORK_MANUAL).free();
    const std::string file = file_of(name);
    ASSERT_NE("", file);
    struct stat is = {};
    ASSERT_EQ(0, stat(file.c_str(), &is));
    int fd = open(file.c_str(), O_RDWR | O_CLOEXEC), refused = 0;
    ASSERT_GE(fd, 0);
    std::vector<off_t> places;
    for (off_t i = 0; i < 256; i++) places.insert(places.end(), {i, is.st_size - 1 - i});
    for (off_t place : places)
        for (int bits : {0x01, 0x80, 0xFF}) {
            unsigned char byte = 0, wrong = 0;
            ASSERT_EQ(1, pread(fd, &byte, 1, place));
            wrong = static_cast<unsigned char>(byte ^ bits);
            ASSERT_EQ(1, pwrite(fd, &wrong, 1, place));
            Held block(spork_shm_open(name.c()));
            if (block.get() != nullptr) {
                EXPECT_LE(block.size(), static_cast<size_t>(is.st_size)) << "place " << place;
                if (block.bytes() != nullptr) queues_sum(block.bytes(), block.size());
            } else {
                EXPECT_EQ("SPORK_BAD_MESSAGE", last()) << "place " << place;
                refused++;
            }
            ASSERT_EQ(1, pwrite(fd, &byte, 1, place));
        }
    close(fd);
    EXPECT_GT(refused, 0) << "something tells what it is";
    EXPECT_EQ("", open_of(name));
}

// What somebody else may put there: nothing that is followed, read, or waited for.
TEST_F(Shm, WhatIsNoFileIsNotOpened)
{
    Name name, target;
    Held(target, 5000, SPORK_MANUAL).free();
    Held(name, 5000, SPORK_MANUAL).free();
    const std::string file = file_of(name), other = file_of(target);
    ASSERT_NE("", file);
    ASSERT_EQ(0, unlink(file.c_str()));
    ASSERT_EQ(0, mkfifo(file.c_str(), 0600));
    EXPECT_EQ(nullptr, spork_shm_open(name.c())); // who waited for the other end would wait for ever
    EXPECT_NE(kNotFound, last());
    EXPECT_EQ(nullptr, spork_shm_create(name.c(), 10, SPORK_MANUAL));
    EXPECT_EQ(kExists, last());
    spork_shm_remove(name.c());
    unlink(file.c_str());
    ASSERT_EQ(0, symlink(other.c_str(), file.c_str()));
    EXPECT_NE("", open_of(name)) << "a link was followed";
    EXPECT_EQ(nullptr, spork_shm_create(name.c(), 10, SPORK_MANUAL));
    EXPECT_EQ("", open_of(target));
    unlink(file.c_str());
    ASSERT_EQ(0, mkdir(file.c_str(), 0700));
    EXPECT_NE("", open_of(name));
    EXPECT_NE(nullptr, spork_error());
    rmdir(file.c_str());
}
#endif

// ---- in strange places ----

std::string say(const char *scenario, const char *argument)
{
    harness_program *p = harness_run(scenario, argument);
    std::string output = harness_output(p);
    int code = harness_wait(p);
    harness_free(p);
    if (code != 0) output += "exit code " + std::to_string(code) + "\n";
    return output;
}

class ShmPlace : public Shm, public testing::WithParamInterface<const char *> {};

TEST_P(ShmPlace, NeedsNoRoomInDevShm)
{
    if ((SPORK_PORTABLE_POSIX || harness_denies("memfd_create")) && strcmp(GetParam(), "full") != 0)
        GTEST_SKIP() << "without memfd_create anonymous memory is a file in /dev/shm";
    const std::string output = say("shm-small", GetParam());
    if (output.rfind("skip ", 0) == 0) GTEST_SKIP() << output.substr(5);
    EXPECT_EQ("fine\n", output);
}
INSTANTIATE_TEST_SUITE_P(All, ShmPlace, testing::Values("small", "read-only", "absent", "full"), [](const auto &place) {
    std::string name = place.param;
    return name == "read-only" ? "readonly" : name;
});

class ShmLimit : public Shm, public testing::WithParamInterface<const char *> {};

TEST_P(ShmLimit, IsAStatusAndNoDeath)
{
    if (!native() && strcmp(GetParam(), "addresses") == 0) GTEST_SKIP() << "sanitizers need all addresses";
    const std::string output = say("shm-limit", GetParam());
    if (output.rfind("skip ", 0) == 0) GTEST_SKIP() << output.substr(5);
    EXPECT_EQ("fine\n", output);
}
INSTANTIATE_TEST_SUITE_P(All, ShmLimit, testing::Values("file-size", "files", "addresses"), [](const auto &place) {
    std::string name = place.param;
    return name == "file-size" ? "filesize" : name;
});

// ---- what fails on purpose ----

#if SPORK_FAULTS
#ifdef _WIN32
const int kCodes[] = {8}; // ERROR_NOT_ENOUGH_MEMORY
#else
const int kCodes[] = {ENOMEM, EMFILE, ENOSPC, EACCES, EINTR};
#endif

// Runs `what` with each call through the door failing in its turn; `after` sees, without a fault, what it left.
void fail_each(const std::function<bool()> &what, const std::function<void(bool)> &after)
{
    for (spork__fault_door door : {SPORK__FAULT_ALLOC, SPORK__FAULT_SYSTEM})
        for (int code : kCodes) {
            if (door == SPORK__FAULT_ALLOC && code != kCodes[0]) continue;
            bool met = true;
            for (long nth = 1; met && nth < 100 && !testing::Test::HasFailure(); nth++) {
                SCOPED_TRACE("door " + std::to_string(door) + ", call " + std::to_string(nth) + ", code " +
                             std::to_string(code));
                spork__fault_arm(door, nth, code, false);
                bool done = what();
                met = spork__fault_count(door) >= nth;
                spork__fault_arm(door, 0, 0, false);
                if (!done) {
                    EXPECT_NE("SPORK_INTERNAL", last());
                    EXPECT_STRNE("", spork_error());
                }
                EXPECT_TRUE(met || done) << spork_error();
                after(done);
            }
            EXPECT_TRUE(!met || testing::Test::HasFailure()) << "there is no end to the calls";
        }
}

TEST_F(Shm, WhatFailsIsAStatusAndLeavesNothing)
{
#ifndef _WIN32
    const std::set<std::string> before = entries();
#endif
    Name name;
    fail_each([] { return Held(spork_shm_new(5000)).get() != nullptr; }, [](bool) {});
    for (spork_lifetime lifetime : kLifetimes) {
        SCOPED_TRACE(word_for(lifetime));
        fail_each(
            [&] {
                Held block(spork_shm_create(name.c(), 5000, lifetime));
                bool done = block.get() != nullptr;
                EXPECT_TRUE(!done || zeroed(block));
                return done;
            },
            [&](bool) {
                spork_shm_remove(name.c());
                EXPECT_EQ(kNotFound, open_of(name));
                Held again(name, 100, lifetime); // the name is free
                again.free();
                spork_shm_remove(name.c());
            });
        Held block(name, 5000, lifetime);
        block.fill(1);
        fail_each(
            [&] {
                Held opened(spork_shm_open(name.c()));
                EXPECT_TRUE(opened.get() == nullptr || holds(opened, 5000, 1));
                return opened.get() != nullptr;
            },
            [&](bool) { EXPECT_TRUE(holds(Held(spork_shm_open(name.c())), 5000, 1)); });
        block.free();
        spork_shm_remove(name.c());
    }
#ifndef _WIN32
    EXPECT_EQ("", left_since(before));
#endif
}

TEST_F(Shm, ARemoveThatFailsCanBeRepeated)
{
    Name name;
    Held(name, 100, SPORK_MANUAL).free();
    fail_each([&] { return spork_shm_remove(name.c()) == SPORK_OK; },
              [&](bool done) {
                  EXPECT_EQ(done ? kNotFound : "", open_of(name));
                  if (done) Held(name, 100, SPORK_MANUAL).free();
              });
}
#endif

} // namespace
