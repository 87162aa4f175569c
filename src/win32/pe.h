/* Executables and DLLs in PE as bytes. No header of the system's: it reads them, and is tested, everywhere. */
#ifndef SPORK_WIN32_PE_H
#define SPORK_WIN32_PE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform.h"

/* The identity of what the loader has mapped, which is believed. */
bool spork__pe_identify(const void *module, uint8_t identity[SPORK__IDENTITY_SIZE]);
/* The same of a file's bytes, which may be anything; their alignment does not matter. false: they are no image of this machine. */
bool spork__pe_identify_file(const void *data, size_t size, uint8_t identity[SPORK__IDENTITY_SIZE]);
/* Whether what the loader has mapped has code at that relative address. */
bool spork__pe_holds_code(const void *module, uintptr_t rva);

#endif
