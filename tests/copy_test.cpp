// Copies of what may be large, wherever it lies.
#include "copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace {

constexpr size_t kPage = 4096;

TEST(Copy, IsRightWhereverTargetAndSourceLieInTheirPages)
{
    std::vector<unsigned char> from(3 * kPage + 64), to(from.size());
    for (size_t i = 0; i < from.size(); i++) from[i] = static_cast<unsigned char>(1 + i * 7 % 255);
    for (size_t size : {0u, 1u, 100u, 2047u, 2048u, 2049u, 4095u, 4096u, 4097u, 8192u})
        for (size_t source : {0u, 8u, 63u})
            for (size_t target : {0u, 1u, 8u, 62u, 63u, 64u, 71u, 126u, 127u}) {
                std::fill(to.begin(), to.end(), 0);
                spork__copy(&to[target], &from[source], size);
                ASSERT_EQ(0, memcmp(&to[target], &from[source], size))
                    << size << " bytes from " << source << " to " << target;
                ASSERT_EQ(size, to.size() - static_cast<size_t>(std::count(to.begin(), to.end(), 0)))
                    << "and no more";
            }
}

TEST(Copy, OfOneMebibyteAndMoreIsRight)
{
    std::vector<unsigned char> from((1 << 20) + kPage, 1), to(from.size() + kPage);
    for (size_t size : {(1u << 20) - 1, 1u << 20, (1u << 20) + 5}) {
        std::fill(to.begin(), to.end(), 0);
        spork__copy(&to[8], from.data(), size);
        EXPECT_EQ(static_cast<ptrdiff_t>(size), std::count(to.begin(), to.end(), 1)) << size;
        EXPECT_EQ(0, to[7]);
        EXPECT_EQ(0, to[8 + size]);
    }
}

TEST(Copy, GoesByPiecesWhereTheStringInstructionWouldBeSlow)
{
    alignas(kPage) static unsigned char memory[4 * kPage];
    unsigned char *page = memory;
    EXPECT_TRUE(spork__copy_is_slow(page + 1, page + 2 * kPage, kPage));
    EXPECT_TRUE(spork__copy_is_slow(page + kPage + 63, page + 2 * kPage, kPage));
    EXPECT_FALSE(spork__copy_is_slow(page, page + 2 * kPage, kPage));
    EXPECT_FALSE(spork__copy_is_slow(page + 64, page + 2 * kPage, kPage));
    EXPECT_FALSE(spork__copy_is_slow(page + 8, page + 2 * kPage, SPORK__COPY_PIECE));
}

} // namespace
