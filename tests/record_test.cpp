// The bootstrap record, which tells a child what to be: what its parent did not write is refused.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <vector>

#include "record.h"

// Parent and child share memory, so they are of the same version, not only of one that fits (docs/abi.md). The versions stand behind the
// eight bytes of the magic: the record's own, then the library's.
TEST(Record, OfAnotherVersionIsRefused)
{
    spork__startup startup = {}, read = {};
    int64_t *handles = nullptr;
    size_t size = 0;
    startup.name = "Process-1";
    startup.parent_name = "MainProcess";
    startup.is_server = true;
    startup.handle_count = SPORK__GIVEN_OBJECTS;
    ASSERT_EQ(SPORK_OK, spork__record_size(&startup, &size)) << spork_error();
    std::vector<std::max_align_t> room(size / sizeof(std::max_align_t) + 1);
    unsigned char *bytes = reinterpret_cast<unsigned char *>(room.data());
    ASSERT_EQ(SPORK_OK, spork__record_write(&startup, bytes, size, &handles)) << spork_error();
    uint32_t version = 0;
    std::memcpy(&version, bytes + 12, sizeof version);
    ASSERT_EQ(static_cast<uint32_t>(SPORK_VERSION_NUMBER), version);
    for (uint32_t other : {version + 1, version + 100, version + 10000}) {
        std::memcpy(bytes + 12, &other, sizeof other);
        EXPECT_EQ(SPORK_UNSUPPORTED, spork__record_read(bytes, size, &read)) << other;
        EXPECT_NE(nullptr, strstr(spork_error(), "do not go together")) << spork_error();
    }
    std::memcpy(bytes + 12, &version, sizeof version);
    EXPECT_EQ(SPORK_OK, spork__record_read(bytes, size, &read)) << spork_error();
}
