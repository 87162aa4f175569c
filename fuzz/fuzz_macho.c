/* Any bytes as a Mach-O file, universal or not, for both kinds of CPU; and as the image of one in memory, of which so many bytes are there. */
#include "fuzz_identity.h"

#include "../src/posix/macho.h"

enum { CPU_X86_64 = 0x01000007, CPU_ARM64 = 0x0100000C };

static bool for_intel(const void *data, size_t size, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    return spork__macho_identify_file(data, size, CPU_X86_64, identity);
}

static bool for_arm(const void *data, size_t size, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    return spork__macho_identify_file(data, size, CPU_ARM64, identity);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t offsets[] = {0, 0x1000, UINT64_MAX, UINT64_MAX / 2};
    fuzz_identity(data, size, for_intel);
    fuzz_identity(data, size, for_arm);
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        if (spork__macho_holds_code(data, size, offsets[i])) {
            uint8_t identity[SPORK__IDENTITY_SIZE]; /* what has code has load commands, and so an identity */
            EXPECT(spork__macho_identify(data, size, identity));
        }
    return 0;
}
