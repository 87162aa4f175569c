// How much fits into a queue, whose memory it is, and what becomes of that.
#include "queue_case.h"

#include <cerrno>
#include <vector>

#include "fault.h"
#include "ring.h"

namespace {

class Capacity : public Queue {};

size_t counted(size_t size) { return 8 + (size + 7) / 8 * 8; } // as queue.h says

// Puts messages until it is full, or so many bytes; how many.
uint32_t put_many(spork_queue *queue, size_t size, size_t most = SIZE_MAX, uint32_t first = 0)
{
    uint32_t count = first;
    std::string bytes = bytes_of(size, 0);
    while ((count - first) * counted(size) < most) {
        memcpy(&bytes[0], &count, std::min(size, sizeof count));
        if (put(queue, bytes, 0) != SPORK_OK) break;
        count++;
    }
    return count;
}

// Gets these; the first that is wrong.
uint32_t get_many(spork_queue *queue, size_t size, uint32_t last, uint32_t first = 0)
{
    std::string bytes = bytes_of(size, 0), here(size, 0);
    for (uint32_t i = first; i < last; i++) {
        size_t received = 0;
        memcpy(&bytes[0], &i, std::min(size, sizeof i));
        if (spork_queue_get_bytes(queue, &here[0], size, &received, 0) != SPORK_OK || here != bytes)
            return i;
    }
    return last;
}

// Waits for messages, of which there are none, until the queue has that little memory.
testing::AssertionResult becomes_small(spork_queue *queue, size_t most)
{
    double end = spork_time() + kWatchdogMs / 1000.0;
    while (spork__queue_memory(queue) > most && spork_time() < end) {
        EXPECT_EQ(kTimeout, get(queue, 30));
    }
    size_t memory = spork__queue_memory(queue);
    if (memory <= most) return testing::AssertionSuccess();
    return testing::AssertionFailure() << memory << " bytes";
}

bool gives_back() { return spork__os_block_can_discard(); }

TEST_F(Capacity, IsRoomForSoManyBytesOfMessagesOfAnySize)
{
    std::vector<size_t> sizes = {64, 1000, 30000, 200000, 250000, 262144};
    if (!native()) sizes = {1000, 200000};
    for (size_t capacity : {5 * kMiB, 8 * kMiB, 21 * kMiB})
        for (size_t size : sizes) {
            SCOPED_TRACE(capacity);
            SCOPED_TRACE(size);
            Held queue(0, capacity);
            uint32_t count = put_many(queue, size);
            EXPECT_EQ(SPORK_TIMEOUT, spork_last_status()) << spork_error();
            EXPECT_GE(count * counted(size), capacity);
            EXPECT_LE(count * counted(size), 2 * capacity + 4 * kMiB);
            EXPECT_EQ(count, get_many(queue, size, count));
            EXPECT_EQ(0u, spork_queue_size(queue));
            EXPECT_EQ(kTimeout, get(queue, 0));
        }
}

// Wherever the getting side was when the other began to fill the queue.
TEST_F(Capacity, IsTheSameInTheMiddleOfAFlow)
{
    const size_t capacity = 5 * kMiB, size = 100000;
    for (int round : repeat(30)) {
        Held queue(0, capacity);
        uint32_t begun = put_many(queue, size, static_cast<size_t>(round % 7) * size + 2 * kMiB);
        uint32_t got = begun * static_cast<uint32_t>(round % 5) / 4;
        ASSERT_EQ(got, get_many(queue, size, got));
        uint32_t all = put_many(queue, size, SIZE_MAX, begun);
        EXPECT_GE((all - got) * counted(size), capacity);
        ASSERT_EQ(all, get_many(queue, size, all, got));
    }
}

TEST_F(Capacity, AllTheWorkFirstAndThenTheWorkers)
{
    const size_t size = 1000;
    Held queue(0, 32 * kMiB), back(0, 0);
    uint32_t count = put_many(queue, size, 20 * kMiB);
    ASSERT_GE(count * size, 19 * kMiB) << spork_error();
    ASSERT_EQ(SPORK_OK, spork_queue_close(queue));
    Child first(queues_count_all, spork_pack(queue.get(), back.get())),
        second(queues_count_all, spork_pack(queue.get(), back.get()));
    ASSERT_EQ(SPORK_OK, first.start()) << spork_error();
    ASSERT_EQ(SPORK_OK, second.start()) << spork_error();
    EXPECT_EQ(static_cast<int>(count), get_number(back) + get_number(back));
    EXPECT_EQ(0, first.join());
    EXPECT_EQ(0, second.join());
}

TEST_F(Capacity, TakesMemoryWhenThereAreMessages)
{
    Held small(0, 5 * kMiB), large(0, 512 * kMiB);
    size_t before = spork__queue_memory(large);
    EXPECT_LT(before, 4 * kMiB);
    EXPECT_LT(spork__queue_memory(small), 4 * kMiB);
    uint32_t count = put_many(large, 100000, 10 * kMiB);
    EXPECT_GE(spork__queue_memory(large), 10 * kMiB);
    EXPECT_LT(spork__queue_memory(large), before + 16 * kMiB);
    EXPECT_EQ(count, get_many(large, 100000, count));
}

TEST_F(Capacity, GivesItBackWhenTheyAreGotAndSomebodyWaitsForMore)
{
    if (!gives_back()) GTEST_SKIP() << "skipped: this system keeps it";
    for (size_t capacity : {40 * kMiB, size_t{2} << 10 << 20}) { // short segments, and long ones
        SCOPED_TRACE(capacity);
        Held queue(0, capacity);
        for (int round = 0; round < 3; round++) {
            uint32_t count = put_many(queue, 100000, 30 * kMiB);
            EXPECT_GE(spork__queue_memory(queue), 29 * kMiB);
            EXPECT_EQ(count, get_many(queue, 100000, count));
            EXPECT_TRUE(becomes_small(queue, 9 * kMiB));
        }
    }
}

TEST_F(Capacity, GivesThatOfLargeMessagesBackToo)
{
    if (!gives_back()) GTEST_SKIP() << "skipped: this system keeps it";
    const std::string large = bytes_of(24 * kMiB);
    Held queue(0, 40 * kMiB);
    Actor actor(queue);
    for (int round = 0; round < 3; round++) {
        EXPECT_EQ(SPORK_OK, put(queue, large)) << spork_error();
        EXPECT_GE(spork__queue_memory(queue), large.size());
        EXPECT_TRUE(same(large, get(queue)));
        EXPECT_TRUE(becomes_small(queue, 9 * kMiB));
        // What another process has seen to be there is not there any more, and it does not know.
        EXPECT_EQ("SPORK_OK", actor.does("put 9000000 5"));
        EXPECT_TRUE(same(bytes_of(9000000, 5), get(queue)));
    }
    EXPECT_EQ(0, actor.end());
}

// Who waits need not be who had it, and whoever had it may be dead.
TEST_F(Capacity, GivesBackWhatOthersHad)
{
    if (!gives_back()) GTEST_SKIP() << "skipped: this system keeps it";
    for (bool dies : {false, true}) {
        SCOPED_TRACE(dies);
        Held queue(0, 40 * kMiB);
        std::vector<uint64_t> sizes = {24 * kMiB};
        Child puts(queues_put_sizes, spork_pack(spork_put_only(queue.get()),
                                                spork_array(sizes.data(), sizes.size()), false));
        EXPECT_EQ(0, puts.run());
        EXPECT_GE(spork__queue_memory(queue), sizes[0]);
        Child gets(
            dies ? queues_die_at : queues_get_one,
            spork_pack(queue.get(), static_cast<int>(SPORK__AT_RING_GET_UNLOCKED), size_t{0}));
        EXPECT_EQ(dies ? -9 : 0, gets.run());
        EXPECT_TRUE(becomes_small(queue, 9 * kMiB));
    }
}

TEST_F(Capacity, GivesBackWhileSomebodyWaitsForSeveralThings)
{
    if (!gives_back()) GTEST_SKIP() << "skipped: this system keeps it";
    Held queue(0, 40 * kMiB);
    uint32_t count = put_many(queue, 100000, 30 * kMiB);
    EXPECT_EQ(count, get_many(queue, 100000, count));
    spork_wait_item item = spork_on(queue.get());
    double end = spork_time() + kWatchdogMs / 1000.0;
    while (spork__queue_memory(queue) > 9 * kMiB && spork_time() < end)
        EXPECT_EQ(SPORK_TIMEOUT, spork_wait(&item, 1, 50)) << spork_error();
    EXPECT_LE(spork__queue_memory(queue), 9 * kMiB);
}

TEST_F(Capacity, GivesBackThoughAMessageComesNowAndThen)
{
    if (!gives_back()) GTEST_SKIP() << "skipped: this system keeps it";
    Held queue(0, 40 * kMiB);
    uint32_t count = put_many(queue, 100000, 30 * kMiB);
    EXPECT_EQ(count, get_many(queue, 100000, count));
    double end = spork_time() + kWatchdogMs / 1000.0;
    while (spork__queue_memory(queue) > 9 * kMiB && spork_time() < end) {
        EXPECT_EQ(SPORK_OK, put(queue, "x"));
        EXPECT_EQ("x", get(queue));
        EXPECT_EQ(kTimeout, get(queue, 30));
    }
    EXPECT_LE(spork__queue_memory(queue), 9 * kMiB);
}

// As if the system had nothing left: what is put goes into memory that there is.
TEST_F(Capacity, WhatWasGivenBackIsAskedForAgain)
{
    if (!gives_back()) GTEST_SKIP() << "skipped: this system keeps it";
    const size_t size = 100000;
    Held queue(0, size_t{2} << 10 << 20); // long segments
    for (int round : repeat(12, 3, 3)) {
        uint32_t count = put_many(queue, size, static_cast<size_t>(round % 4 + 1) * 6 * kMiB);
        ASSERT_EQ(count, get_many(queue, size, count));
        EXPECT_TRUE(becomes_small(queue, 11 * kMiB));
        for (int i = 0; i < round; i++) {
            count = put_many(queue, size, kMiB);
            ASSERT_EQ(count, get_many(queue, size, count));
        }
        size_t before = spork__queue_memory(queue);
        spork__fault_arm(SPORK__FAULT_SYSTEM, 1, ENOSPC, true);
        count = put_many(queue, size);
        spork__fault_arm(SPORK__FAULT_SYSTEM, 0, 0, false);
        EXPECT_EQ(SPORK_NO_SPACE, spork_last_status()) << spork_error();
        EXPECT_LE(spork__queue_memory(queue), before);
        ASSERT_EQ(count, get_many(queue, size, count));
    }
}

TEST_F(Capacity, WhatTheSystemGaveBeforeItHadNoMoreGoesBack)
{
    if (!gives_back()) GTEST_SKIP() << "skipped: this system keeps it";
    Held queue(0, 80 * kMiB);
    const std::string large = bytes_of(60 * kMiB);
    size_t before = spork__queue_memory(queue);
    spork__fault_arm_kind("posix_fallocate", 3, ENOSPC, false); // it is asked for 16 MiB at a time
    EXPECT_EQ(SPORK_NO_SPACE, put(queue, large, 0)) << spork_error();
    spork__fault_arm_kind(nullptr, 0, 0, false);
    EXPECT_LE(spork__queue_memory(queue), before + 2 * kMiB);
    EXPECT_EQ(SPORK_OK, put(queue, large, 0)) << spork_error();
    EXPECT_TRUE(same(large, get(queue)));
}

TEST_F(Capacity, MessagesThatAreStillInTheQueueKeepTheirs)
{
    const size_t size = 100000;
    Held queue(0, 64 * kMiB);
    uint32_t count = put_many(queue, size, 40 * kMiB), got = count - 30;
    ASSERT_EQ(got, get_many(queue, size, got));
    count = put_many(queue, size, 20 * kMiB, count); // segments are used again, others given back
    EXPECT_EQ(count, get_many(queue, size, count, got));
}

// A flow that is never far behind goes through a few MiB again and again, however large the queue may become.
TEST_F(Capacity, AFlowUsesTheSameMemoryAgain)
{
    const size_t size = 100000;
    for (size_t capacity : {64 * kMiB, size_t{16} << 10 << 20}) {
        if (sizeof(size_t) == 4 && capacity > 64 * kMiB) continue;
        SCOPED_TRACE(capacity);
        Held queue(0, capacity);
        uint32_t put = 0, got = 0;
        for (int round = 0; round < 200; round++) {
            put = put_many(queue, size, 5 * counted(size), put);
            got = get_many(queue, size, put - 2, got);
            ASSERT_EQ(put - 2, got);
        }
        EXPECT_LT(spork__queue_memory(queue), 24 * kMiB);
        EXPECT_EQ(put, get_many(queue, size, put, got));
    }
}

TEST_F(Capacity, WithoutMemoryAPutPutsNothingAndMayBeTriedAgain)
{
#ifdef _WIN32
    const int code = 1455; // ERROR_COMMITMENT_LIMIT
#else
    const int code = ENOSPC;
#endif
    const size_t size = 100000;
    Held queue(0, 32 * kMiB);
    spork__fault_arm(SPORK__FAULT_SYSTEM, 1, code, true);
    uint32_t count = put_many(queue, size);
    long calls = spork__fault_count(SPORK__FAULT_SYSTEM);
    spork__fault_arm(SPORK__FAULT_SYSTEM, 0, 0, false);
    if (calls == 0) GTEST_SKIP() << "skipped: memory is not asked for there";
    EXPECT_EQ(SPORK_NO_SPACE, spork_last_status()) << spork_error();
    EXPECT_EQ(count, spork_queue_size(queue));
    EXPECT_LT(count, 32u);
    uint32_t all = put_many(queue, size, 3 * kMiB, count);
    EXPECT_GT(all, count + 20);
    EXPECT_EQ(all, get_many(queue, size, all));
}

// What the dead one had begun is nothing, and there is as much room as before.
TEST_F(Capacity, WhoDiesWithANewSegmentHurtsNobody)
{
    const size_t size = 200000;
    for (spork__point point :
         {SPORK__AT_SEGMENT_ENTERED, SPORK__AT_SEGMENT_BACKED, SPORK__AT_RING_PUT_WRITTEN}) {
        SCOPED_TRACE(point);
        Held queue(0, 5 * kMiB);
        uint32_t count = put_many(queue, size, 5 * counted(size)); // the first segment is full
        ASSERT_EQ(5u, count);
        Child dies(queues_die_at, spork_pack(queue.get(), static_cast<int>(point), size));
        EXPECT_EQ(-9, dies.run());
        count = put_many(queue, size, SIZE_MAX, count);
        EXPECT_GE(count * counted(size), 5 * kMiB);
        EXPECT_EQ(count, get_many(queue, size, count));
    }
}

TEST_F(Capacity, WhoDiesGivingMemoryBackHurtsNobody)
{
    if (!gives_back()) GTEST_SKIP() << "skipped: this system keeps it";
    const size_t size = 100000;
    for (spork__point point : {SPORK__AT_SEGMENT_TRIMMED, SPORK__AT_ARENA_TRIMMED}) {
        SCOPED_TRACE(point);
        Held queue(0, 40 * kMiB);
        uint32_t count = put_many(queue, size, 20 * kMiB);
        EXPECT_EQ(count, get_many(queue, size, count));
        const std::string large = bytes_of(24 * kMiB);
        EXPECT_EQ(SPORK_OK, put(queue, large)) << spork_error();
        EXPECT_TRUE(same(large, get(queue)));
        Child dies(queues_die_at, spork_pack(queue.get(), static_cast<int>(point), size_t{0}));
        EXPECT_EQ(-9, dies.run());
        EXPECT_TRUE(becomes_small(queue, 11 * kMiB)); // the next does what it had begun
        count = put_many(queue, size, 30 * kMiB);
        EXPECT_GE(count * counted(size), 30 * kMiB);
        EXPECT_EQ(count, get_many(queue, size, count));
    }
}

TEST_F(Capacity, UnboundedIsAsMuchAsThereIs)
{
    const size_t size = 200000, much = native() ? 100 * kMiB : 24 * kMiB;
    spork_queue_options options = {};
    options.unbounded = true;
    Held queue(options);
    EXPECT_LT(spork__queue_memory(queue), 4 * kMiB);
    uint32_t count = put_many(queue, size, much);
    EXPECT_GE(count * counted(size), much) << spork_error();
    EXPECT_EQ(count, get_many(queue, size, count));
    if (gives_back()) {
        EXPECT_TRUE(becomes_small(queue, 9 * kMiB));
    }
    const std::string large = bytes_of(20 * kMiB);
    EXPECT_EQ(SPORK_OK, put(queue, large)) << spork_error();
    EXPECT_TRUE(same(large, get(queue)));
}

TEST_F(Capacity, UnboundedMayStillCountMessages)
{
    spork_queue_options options = {};
    options.unbounded = true;
    options.max_messages = 3;
    Held queue(options);
    EXPECT_EQ(3u, fill(queue, 100));
    options.capacity = 100000;
    EXPECT_EQ(nullptr, spork_queue_new_with(&options));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    EXPECT_STREQ("spork_queue_new: an unbounded queue has no capacity", spork_error());
}

TEST_F(Capacity, NumbersTheWrongWayRoundAreRefused)
{
    EXPECT_EQ(nullptr, spork_queue_new(kMiB, 100));
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
    EXPECT_STREQ("spork_queue_new: 1048576 messages do not fit into 100 bytes: the number of "
                 "messages comes first, then "
                 "the bytes; 0 for one that is no bound",
                 spork_error());
    Held queue(100, 100); // is not more
    EXPECT_EQ(SPORK_OK, put(queue, "x", 0)) << spork_error();
}

// Without a copy a message is in one piece, too.
TEST_F(Capacity, WithoutCopiesToo)
{
    const size_t size = 150000;
    Held queue(without_copies(6 * kMiB));
    for (uint32_t i = 0; i < 200; i++) {
        void *room = nullptr;
        spork_bytes message;
        ASSERT_EQ(SPORK_OK, spork_queue_reserve(queue, size, &room, 0)) << spork_error();
        queues_fill(static_cast<char *>(room), size, i);
        ASSERT_EQ(SPORK_OK, spork_queue_commit(queue, room, size - i));
        ASSERT_EQ(SPORK_OK, spork_queue_peek(queue, &message, 0)) << spork_error();
        ASSERT_TRUE(same(bytes_of(size - i, i),
                         std::string(static_cast<const char *>(message.data), message.size)));
        ASSERT_EQ(SPORK_OK, spork_queue_release(queue, message));
    }
}

} // namespace
