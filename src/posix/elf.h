/* Executables and libraries in ELF as bytes, whoever has mapped them. */
#ifndef SPORK_POSIX_ELF_H
#define SPORK_POSIX_ELF_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform.h"

/* The identity of what the loader has mapped, which is believed. `base`: what it has added to the headers' addresses. */
bool spork__elf_identify(uintptr_t base, const ElfW(Phdr) *headers, size_t count,
                         uint8_t identity[SPORK__IDENTITY_SIZE]);
/* The same of a file's bytes, which may be anything; their alignment does not matter. false: they are no image of this machine. */
bool spork__elf_identify_file(const void *data, size_t size, uint8_t identity[SPORK__IDENTITY_SIZE]);

#endif
