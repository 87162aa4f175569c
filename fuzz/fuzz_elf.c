/* Any bytes as an ELF file: its identity, the same every time and wherever the bytes lie, or none. */
#include "fuzz_identity.h"

#include "elf.h"

static bool identify(const void *data, size_t size, uint8_t identity[SPORK__IDENTITY_SIZE])
{
    return spork__elf_identify_file(data, size, identity);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return fuzz_identity(data, size, identify); }
