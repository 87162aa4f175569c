/* Any bytes as a PE file. What the loader has mapped is not for this: it is believed, and nobody knows how large it is. */
#include "fuzz_identity.h"

#include "../src/win32/pe.h"

static bool identify(const void *data, size_t size, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    return spork__pe_identify_file(data, size, identity);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_identity(data, size, identify); }
