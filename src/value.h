/* Values inside the library: copying, encoding and decoding packs. The encoding is described at the top of value.c. */
#ifndef SPORK_SRC_VALUE_H
#define SPORK_SRC_VALUE_H

#include <spork/value.h>

#include "object.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that the encoded args need. SPORK_INVALID, naming the argument: what cannot travel (a NULL string, a pointer, an object
 * without its parcel); SPORK_TOO_LARGE. */
spork_status spork__values_size(const spork_args *args, size_t *size);
/* Encodes into `to`, aligned to 16, of exactly that size. Results as above. */
spork_status spork__values_encode(const spork_args *args, void *to, size_t size);
/* Decodes in place: items point into `from`, which is aligned to 16 and must outlive *args. SPORK_BAD_MESSAGE, with a
 * sentence, for everything that encode did not write: there is one encoding of a pack, and only that is accepted. */
spork_status spork__values_decode(const void *from, size_t size, spork_args *args);

/* The same with objects, whose bytes and handles are in `parcels` (NULL: no objects allowed). After decode each object is its
 * payload in `as.p` and the number of its handles in `unit`: spork__objects_take makes it an object again. */
spork_status spork__values_size_with(const spork_args *args, const spork__parcels *parcels, size_t *size);
spork_status spork__values_encode_with(const spork_args *args, const spork__parcels *parcels, void *to, size_t size);
spork_status spork__values_decode_with(const void *from, size_t size, spork_args *args, bool with_objects);

#ifdef __cplusplus
#define SPORK__ALIGNED_16 alignas(16)
#else
#define SPORK__ALIGNED_16 _Alignas(16)
#endif

/* An encoded pack for the moment of a call: a small one needs no memory of its own. */
typedef struct spork__encoded {
    void *data;
    size_t size;
    SPORK__ALIGNED_16 unsigned char small[1024];
} spork__encoded;
/* Free it where that gave SPORK_OK. Results as spork__values_size_with; SPORK_NO_MEMORY. */
spork_status spork__values_encode_new(const spork_args *args, const spork__parcels *parcels, spork__encoded *encoded);
/* The same of a message whose size is in `e` already: for who may refuse it, before anything is copied. */
spork_status spork__values_encode_sized(const spork_args *args, const spork__parcels *parcels, spork__encoded *e);
void spork__encoded_free(spork__encoded *encoded);

/* A deep copy in one block; objects and pointers stay what they are. SPORK_INVALID, SPORK_TOO_LARGE, SPORK_NO_MEMORY. */
spork_status spork__values_copy(const spork_args *args, spork_args **copy);
void spork__values_free_copy(spork_args *copy);

/* spork_args.origin of what this copy of the library decoded. */
uint32_t spork__values_origin(void);

#ifdef __cplusplus
}
#endif
#endif
