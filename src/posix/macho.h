/* Executables and libraries in Mach-O as bytes. No header of the system's: it reads them, and is tested, everywhere. Numbers are in the
 * machine's own byte order, but those of a universal file. */
#ifndef SPORK_POSIX_MACHO_H
#define SPORK_POSIX_MACHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform.h"

/* As in <mach-o/loader.h>, which image_macho.c compares them with. */
typedef struct spork__macho_header {
    uint32_t magic, cputype, cpusubtype, filetype, ncmds, sizeofcmds, flags, reserved;
} spork__macho_header;
typedef struct spork__macho_command {
    uint32_t cmd, cmdsize;
} spork__macho_command;
typedef struct spork__macho_uuid {
    uint32_t cmd, cmdsize;
    uint8_t uuid[16];
} spork__macho_uuid;
typedef struct spork__macho_segment {
    uint32_t cmd, cmdsize;
    char segname[16];
    uint64_t vmaddr, vmsize, fileoff, filesize;
    uint32_t maxprot, initprot, nsects, flags;
} spork__macho_segment;
/* <mach-o/fat.h> */
typedef struct spork__macho_fat {
    uint32_t magic, nfat_arch;
} spork__macho_fat;
typedef struct spork__macho_slice {
    uint32_t cputype, cpusubtype, offset, size, align;
} spork__macho_slice;

enum {
    SPORK__MACHO_UUID = 0x1B,    /* LC_UUID */
    SPORK__MACHO_SEGMENT = 0x19, /* LC_SEGMENT_64 */
    SPORK__MACHO_CODE = 4        /* VM_PROT_EXECUTE */
};
#define SPORK__MACHO_MAGIC 0xFEEDFACFu     /* MH_MAGIC_64 */
#define SPORK__MACHO_FAT_MAGIC 0xCAFEBABEu /* FAT_MAGIC */

/* The identity of an image that begins at `data`; so many bytes of it exist. false: it is none, or damaged. */
bool spork__macho_identify(const void *data, size_t size, uint8_t identity[SPORK__IDENTITY_SIZE]);
/* The same of a file, which may be a universal one: then its slice for that kind of CPU. */
bool spork__macho_identify_file(const void *data, size_t size, uint32_t cputype,
                                uint8_t identity[SPORK__IDENTITY_SIZE]);
/* Whether an image has code that far from its header, as it lies in memory. */
bool spork__macho_holds_code(const void *data, size_t size, uint64_t offset);

#endif
