// Extents of shared memory: who has what, and what damaged words can do. Deaths are in ground_test.cpp.
#include "arena.h"
#include "budget.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <set>
#include <vector>

#include "error.h"
#include "fault.h"
#include "harness/harness.h"
#include "tree.h"

extern "C" uint64_t spork__memory_available(const char *root); // POSIX: src/posix/memory.c

namespace {

constexpr size_t kUnit = SPORK__ARENA_UNIT, kFixed = 65536, kRoom = 64 * kUnit;

#ifdef _WIN32
constexpr int kNoMemory = 8; // ERROR_NOT_ENOUGH_MEMORY
#else
constexpr int kNoMemory = ENOMEM;
#endif

class Arena : public testing::Test {
  protected:
    void SetUp() override
    {
        ASSERT_LE(spork__arena_table_size(), kFixed);
        ASSERT_EQ(SPORK_OK, spork__os_block_new_growing(&block, kFixed + kRoom)) << spork_error();
        ASSERT_EQ(SPORK_OK, spork__os_block_commit(&block, 0, kFixed)) << spork_error();
        ASSERT_EQ(SPORK_OK, spork__os_berth_new(&berth)) << spork_error();
        arena = {&block, static_cast<spork__arena_table *>(block.data), kFixed, kRoom, berth, 0};
        ASSERT_EQ(SPORK_OK, spork__arena_open(&arena, true)) << spork_error();
        me = spork__tree_self();
    }
    void TearDown() override
    {
        spork__os_block_free(&block);
        spork__os_handle_close(berth);
    }
    uint32_t take(size_t size)
    {
        uint32_t extent = SPORK__ARENA_NONE;
        EXPECT_EQ(SPORK_OK, spork__arena_take(&arena, size, &extent)) << spork_error();
        return extent;
    }
    size_t used()
    {
        uint64_t bytes;
        return spork__arena_used(&arena, &bytes);
    }

    spork__block block = {};
    spork_native berth = SPORK__NO_HANDLE;
    spork__arena arena = {};
    uint32_t me = 0;
};

TEST_F(Arena, ExtentsAreApartAndLargeEnough)
{
    std::vector<std::pair<char *, size_t>> all;
    for (size_t size : {size_t{0}, size_t{1}, kUnit, kUnit + 1, 10 * kUnit}) {
        size_t room = 0;
        auto *at = static_cast<char *>(spork__arena_data(&arena, take(size), &room));
        ASSERT_NE(nullptr, at) << spork_error();
        EXPECT_GE(room, size);
        EXPECT_GT(room, 0u);
        for (auto [other, length] : all) EXPECT_TRUE(at + room <= other || other + length <= at);
        std::memset(at, 1, room);
        all.emplace_back(at, room);
    }
    EXPECT_EQ(5u, used());
}

TEST_F(Arena, WhatIsFreedIsGivenAgain)
{
    for (int i = 0; i < 3000; i++) ASSERT_TRUE(spork__arena_free(&arena, take(kRoom), me)) << i;
    uint32_t first = take(kUnit), second = take(kUnit), third = take(kRoom - 2 * kUnit);
    EXPECT_TRUE(spork__arena_free(&arena, second, me)); // a hole between two others
    EXPECT_EQ(second, take(kUnit));
    EXPECT_TRUE(spork__arena_free(&arena, first, me) && spork__arena_free(&arena, second, me) &&
                spork__arena_free(&arena, third, me));
    EXPECT_EQ(0u, used());
}

// Who looks whether somebody is stuck there sees the busy come and go.
TEST_F(Arena, TellsEachTimeThatItIsLockedFromTheNext)
{
    uint32_t before, after;
    EXPECT_EQ(0u, spork__arena_locked_by(&arena, &before));
    take(1);
    EXPECT_EQ(0u, spork__arena_locked_by(&arena, &after));
    EXPECT_NE(before, after);
}

TEST_F(Arena, AFullOneAndOneThatIsTooSmallSaySo)
{
    uint32_t extent = 0, all = take(kRoom);
    EXPECT_EQ(SPORK_TIMEOUT, spork__arena_take(&arena, 1, &extent));
    EXPECT_EQ(SPORK_TOO_LARGE, spork__arena_take(&arena, kRoom + 1, &extent));
    EXPECT_NE(nullptr, std::strstr(spork_error(), std::to_string(kRoom).c_str())) << spork_error();
    EXPECT_EQ(SPORK_TOO_LARGE, spork__arena_take(&arena, SIZE_MAX, &extent));
    EXPECT_TRUE(spork__arena_free(&arena, all, me));
    take(1);
}

TEST_F(Arena, AsManyExtentsAsItsTableHolds)
{
    spork__block large = {};
    ASSERT_EQ(SPORK_OK, spork__os_block_new_growing(&large, kFixed + 2048 * kUnit));
    ASSERT_EQ(SPORK_OK, spork__os_block_commit(&large, 0, kFixed));
    spork__arena many = {&large, static_cast<spork__arena_table *>(large.data), kFixed, 2048 * kUnit, berth, 0};
    ASSERT_EQ(SPORK_OK, spork__arena_open(&many, true));
    std::set<void *> places;
    uint32_t extent = 0;
    size_t room = 0;
    for (int i = 0; i < SPORK__ARENA_EXTENTS; i++) {
        ASSERT_EQ(SPORK_OK, spork__arena_take(&many, 1, &extent));
        EXPECT_TRUE(places.insert(spork__arena_data(&many, extent, &room)).second);
    }
    EXPECT_EQ(SPORK_TIMEOUT, spork__arena_take(&many, 1, &extent));
    EXPECT_TRUE(spork__arena_free(&many, 77, me));
    EXPECT_EQ(SPORK_OK, spork__arena_take(&many, 1, &extent));
    EXPECT_EQ(77u, extent);
    spork__os_block_free(&large);
}

// What another process has written over: an extent that reaches beyond all memory that there is.
TEST_F(Arena, ADamagedExtentCostsNoMemory)
{
    spork__block vast = {};
    const size_t units = 1 << 16;
    ASSERT_EQ(SPORK_OK, spork__os_block_new_growing(&vast, kFixed + units * kUnit)) << spork_error();
    ASSERT_EQ(SPORK_OK, spork__os_block_commit(&vast, 0, kFixed));
    if (spork__os_block_committed(&vast) == vast.size) {
        spork__os_block_free(&vast);
        GTEST_SKIP() << "this system does not tell how much memory a block has";
    }
    spork__arena victim = {&vast, static_cast<spork__arena_table *>(vast.data), kFixed, units * kUnit, berth, 0};
    ASSERT_EQ(SPORK_OK, spork__arena_open(&victim, true));
    uint32_t extent = 0, next = 0;
    size_t room = 0;
    ASSERT_EQ(SPORK_OK, spork__arena_take(&victim, 3 * kUnit, &extent));
    const size_t before = spork__os_block_committed(&vast);
    EXPECT_LT(before, units / 4 * kUnit);
    auto *words = reinterpret_cast<uint32_t *>(vast.data); // {owner, first, count = 3}: the count becomes 2^15
    size_t at = 0;
    while (at + 2 < kFixed / 4 && !(words[at] == me && words[at + 1] == 0 && words[at + 2] == 3)) at++;
    ASSERT_LT(at + 2, kFixed / 4);
    words[at + 2] = units / 2;
    EXPECT_EQ(nullptr, spork__arena_data(&victim, extent, &room));
    EXPECT_EQ(SPORK_BAD_MESSAGE, spork_last_status()) << spork_error();
    EXPECT_EQ(SPORK_BAD_MESSAGE, spork__arena_take(&victim, kUnit, &next)) << spork_error();
    EXPECT_EQ(before, spork__os_block_committed(&vast));
    words[at + 2] = 3;
    EXPECT_NE(nullptr, spork__arena_data(&victim, extent, &room)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork__arena_take(&victim, 30 * kUnit, &next)) << spork_error();
    EXPECT_NE(nullptr, spork__arena_data(&victim, next, &room)) << spork_error();
    spork__os_block_free(&vast);
}

#ifdef __linux__ // where whoever asked for it all would have others killed
TEST_F(Arena, MoreThanTheSystemHasIsRefusedBeforeAnyOfItIsTaken)
{
    spork__block vast = {};
    const uint64_t available = spork__memory_available("");
    size_t size = static_cast<size_t>(1) << (sizeof(size_t) > 4 ? 40 : 30);
    if (available >= size) GTEST_SKIP() << "this machine has more memory than can be asked for";
    while (size / 4 > available)
        size /= 2; // under ThreadSanitizer there are no addresses for a TiB
    ASSERT_EQ(SPORK_OK, spork__os_block_new_growing(&vast, kFixed + size)) << spork_error();
    ASSERT_EQ(SPORK_OK, spork__os_block_commit(&vast, 0, kFixed));
    spork__arena of_it = {&vast, static_cast<spork__arena_table *>(vast.data), kFixed, size, berth, 0};
    ASSERT_EQ(SPORK_OK, spork__arena_open(&of_it, true));
    uint32_t extent = 0;
    const size_t before = spork__os_block_committed(&vast);
    EXPECT_EQ(SPORK_NO_SPACE, spork__arena_take(&of_it, size, &extent));
    EXPECT_NE(nullptr, std::strstr(spork_error(), "the system has")) << spork_error();
    EXPECT_EQ(before, spork__os_block_committed(&vast));
    EXPECT_EQ(SPORK_OK, spork__arena_take(&of_it, kUnit, &extent)) << spork_error();
    spork__os_block_free(&vast);
}
#endif

TEST_F(Arena, NoMemoryLeftIsAStatusAndNothingIsTaken)
{
    uint32_t extent = 0;
    spork__fault_arm(SPORK__FAULT_SYSTEM, 1, kNoMemory, true);
    spork_status status = spork__arena_take(&arena, 5 * kUnit, &extent);
    bool asked = spork__fault_count(SPORK__FAULT_SYSTEM) > 0;
    spork__fault_arm(SPORK__FAULT_SYSTEM, 0, 0, false);
    if (!asked) GTEST_SKIP() << "this system's shared memory needs no reservation";
    EXPECT_TRUE(status == SPORK_NO_MEMORY || status == SPORK_NO_SPACE) << spork_error();
    EXPECT_EQ(0u, used());
    take(5 * kUnit);
}

TEST_F(Arena, OnlyTheOwnerHandsOnAndFrees)
{
    uint32_t extent = take(1), other = me ^ 1;
    EXPECT_EQ(me, spork__arena_owner(&arena, extent));
    EXPECT_FALSE(spork__arena_free(&arena, extent, other));
    EXPECT_FALSE(spork__arena_hand(&arena, extent, other, me));
    EXPECT_TRUE(spork__arena_hand(&arena, extent, me, SPORK__ARENA_NOBODY));
    EXPECT_FALSE(spork__arena_free(&arena, extent, me));
    EXPECT_TRUE(spork__arena_free(&arena, extent, SPORK__ARENA_NOBODY));
    EXPECT_FALSE(spork__arena_free(&arena, extent, SPORK__ARENA_NOBODY));
    EXPECT_FALSE(spork__arena_free(&arena, SPORK__ARENA_EXTENTS, me));
    EXPECT_FALSE(spork__arena_free(&arena, SPORK__ARENA_NONE, me));
}

bool mark_is_seven(void *, uint32_t owner, uint64_t mark) { return owner == SPORK__ARENA_NOBODY && mark == 7; }

TEST_F(Arena, ASweepTakesFromTheDeadAndWhatItsUserHasLost)
{
    const uint32_t dead = 5; // generation 0: nobody has ever had that id
    uint32_t mine = take(1), deads = take(1), kept = take(1), lost = take(1);
    EXPECT_TRUE(spork__arena_hand(&arena, deads, me, dead));
    spork__arena_set_mark(&arena, kept, 6);
    spork__arena_set_mark(&arena, lost, 7);
    EXPECT_TRUE(spork__arena_hand(&arena, kept, me, SPORK__ARENA_NOBODY));
    EXPECT_TRUE(spork__arena_hand(&arena, lost, me, SPORK__ARENA_NOBODY));
    EXPECT_EQ(1u, spork__arena_sweep(&arena, nullptr, nullptr));
    EXPECT_EQ(0u, spork__arena_owner(&arena, deads));
    EXPECT_EQ(1u, spork__arena_sweep(&arena, mark_is_seven, nullptr));
    EXPECT_EQ(0u, spork__arena_owner(&arena, lost));
    EXPECT_EQ(7u - 1, spork__arena_mark(&arena, kept));
    EXPECT_EQ(me, spork__arena_owner(&arena, mine));
    EXPECT_EQ(2u, used());
}

TEST_F(Arena, AnotherLayoutOrSizeIsRefused)
{
    spork__arena other = arena;
    EXPECT_EQ(SPORK_OK, spork__arena_open(&other, false));
    other.size -= kUnit;
    EXPECT_EQ(SPORK_BAD_MESSAGE, spork__arena_open(&other, false));
    other.size += kUnit;
    std::memset(block.data, 0, 1024);
    EXPECT_EQ(SPORK_BAD_MESSAGE, spork__arena_open(&other, false));
}

// Every call comes back, with a status, and no address outside of the room.
TEST_F(Arena, DamagedWordsCauseStatusesOnly)
{
    std::mt19937 random(20240229);
    auto *bytes = static_cast<unsigned char *>(block.data);
    auto *room_begin = static_cast<char *>(block.data) + kFixed, *room_end = room_begin + kRoom;
    for (int round : repeat(2000)) {
        for (int i = 0; i < 200; i++)
            bytes[128 + random() % (spork__arena_table_size() - 128)] = static_cast<unsigned char>(random());
        if (round % 16 == 0) std::memset(bytes + 128, static_cast<int>(random()), spork__arena_table_size() - 128);
        uint32_t extent = 0;
        size_t size = 0;
        spork_status status = spork__arena_take(&arena, random() % (2 * kRoom), &extent);
        if (status == SPORK_OK) {
            EXPECT_LT(extent, static_cast<uint32_t>(SPORK__ARENA_EXTENTS));
        }
        for (uint32_t e :
             {extent, static_cast<uint32_t>(random() % SPORK__ARENA_EXTENTS), static_cast<uint32_t>(random())}) {
            auto *at = static_cast<char *>(spork__arena_data(&arena, e, &size));
            if (at == nullptr) continue;
            EXPECT_TRUE(room_begin <= at && at + size <= room_end) << e;
        }
        spork__arena_sweep(&arena, nullptr, nullptr);
    }
}

} // namespace
