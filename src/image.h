/* Functions travel as image + offset: the child finds the same build of the same image, and in it the same function. */
#ifndef SPORK_IMAGE_H
#define SPORK_IMAGE_H

#include "platform.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A function of an image, as it is written into a bootstrap record. */
typedef struct spork__function {
    uint64_t offset;
    uint32_t is_program; /* of the executable itself, not of a library */
    uint8_t identity[SPORK__IDENTITY_SIZE];
    char path[1024];
} spork__function;

/* SPORK_INVALID: the address is not in the code of a loaded image (a NULL, data, a library that was unloaded). */
spork_status spork__function_export(uintptr_t address, spork__function *function);
/* The same check without the rest, for fork. */
spork_status spork__function_check(uintptr_t address);
/* Finds it here, loading its library if need be. SPORK_NOT_FOUND, SPORK_INVALID, SPORK_BAD_MESSAGE (an offset that is not in
 * code), with a sentence. */
spork_status spork__function_import(const spork__function *function, uintptr_t *address);

#ifdef __cplusplus
}
#endif
#endif
