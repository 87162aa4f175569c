/* Values: unpacking, copying, and the one encoding in which they travel.
 *
 *     message  = header  entry * count  payload *           all numbers in the machine's own byte order: a message never leaves it
 *     header   = u32 magic "SPV1"   u32 count (<= 16)   u64 size of the whole message
 *     entry    = u16 kind   u16 flags (0)   u32 unit   u64 value
 *     payload  = the bytes of the entries that have some, in the order of the entries, each zero-padded to a multiple of 16
 *
 *     kind        unit             value              payload
 *     1 int       0                the number         -
 *     2 uint      0                the number         -
 *     3 float     0                a double's bits    -
 *     4 text      1                length             length + 1 bytes, the last and only the last is NUL
 *     5 bytes     1                length             length
 *     6 struct    its size         1                  unit
 *     7 array     element's size   elements           unit * value
 *     16+ object  handles          length             length; the handles travel beside the message
 *
 * Offsets are not written: they follow from the sizes, so payloads can neither overlap nor point outside, and there is one
 * encoding of a pack. Header and entries are 16 bytes each, so every payload is aligned to 16 where the message is. */
#include "value.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "copy.h"
#include "error.h"
#include "platform.h"

typedef struct header {
    uint32_t magic, count;
    uint64_t size;
} header;
typedef struct entry {
    uint16_t kind, flags;
    uint32_t unit;
    uint64_t value;
} entry;
_Static_assert(sizeof(header) == 16 && sizeof(entry) == 16, "the encoding counts on it");
_Static_assert(sizeof(double) == 8, "a double travels as its 64 bits");

enum { MAGIC = 0x31565053 }; /* "SPV1" */
/* What can be addressed: 2^48 bytes, and on systems of 32 bits less. */
#if SIZE_MAX > 0xffffffff
static const uint64_t MAX_SIZE = (uint64_t)1 << 48;
#define MOST "2^48 bytes"
#else
static const uint64_t MAX_SIZE = SIZE_MAX;
#define MOST "2^32 bytes"
#endif

/* Its address differs in every copy of the library within a process. */
static char copy_mark;
spork_status spork__values_encode_new(const spork_args *args, const spork__parcels *parcels, spork__encoded *e)
{
    spork_status status = spork__values_size_with(args, parcels, &e->size);
    return status == SPORK_OK ? spork__values_encode_sized(args, parcels, e) : status;
}

spork_status spork__values_encode_sized(const spork_args *args, const spork__parcels *parcels, spork__encoded *e)
{
    e->data = e->size <= sizeof e->small ? e->small : spork__alloc(e->size, "a message");
    if (e->data == NULL) return SPORK_NO_MEMORY;
    spork_status status = spork__values_encode_with(args, parcels, e->data, e->size);
    if (status != SPORK_OK) spork__encoded_free(e);
    return status;
}

void spork__encoded_free(spork__encoded *e)
{
    if (e->data != e->small) spork__free(e->data);
}

void spork_args_free(spork_args *received)
{
    if (received == NULL) return;
    spork__objects_release(received);
    spork__free(received);
}

uint32_t spork__values_origin(void) { return (uint32_t)((uintptr_t)&copy_mark >> 4) | 1u; }

/* ---- sizes ---- */

static uint64_t padded(uint64_t n) { return (n + 15) & ~(uint64_t)15; }

/* Bytes of a payload from an entry's numbers; false if they are out of all bounds. */
static bool payload_size(unsigned kind, uint64_t unit, uint64_t count, uint64_t *size)
{
    *size = 0;
    if (kind == SPORK__KIND_INT || kind == SPORK__KIND_UINT || kind == SPORK__KIND_FLOAT) return true;
    if (count > MAX_SIZE || unit > UINT32_MAX) return false;
    if (kind >= SPORK__KIND_OBJECT)
        *size = count;
    else if (unit > 0 && count > MAX_SIZE / unit)
        return false;
    else
        *size = kind == SPORK__KIND_TEXT ? count + 1 : unit * count;
    return *size <= MAX_SIZE;
}

static const char *kind_name(unsigned kind)
{
    static const char *const names[] = {"nothing",  "an integer",      "an integer", "a floating-point number",
                                        "a string", "bytes",           "a struct",   "an array",
                                        "a string", "a plain pointer", "a bool"};
    if (kind < sizeof names / sizeof *names) return names[kind];
    const spork__kind *object = kind >= SPORK__KIND_OBJECT ? spork__kind_find((uint16_t)kind) : NULL;
    return object != NULL ? object->name : "an unknown kind of value";
}

/* The payload of a user's item: where it is, and how long. Checks all that a pack can get wrong. */
static spork_status measure(const spork_item *item, unsigned number, const void **data, uint64_t *count, uint64_t *size)
{
    *data = item->as.p;
    *count = item->count;
    *size = 0;
    switch (item->kind) {
    case SPORK__KIND_INT:
    case SPORK__KIND_UINT:
    case SPORK__KIND_FLOAT: *count = item->as.u; return SPORK_OK;
    case SPORK__KIND_TEXT:
        if (item->as.p == NULL) return spork__fail(SPORK_INVALID, "argument %u is a NULL string", number);
        if (*count == 0) *count = strlen(item->as.p);
        break;
    case SPORK__KIND_BYTES:
    case SPORK__KIND_ARRAY:
    case SPORK__KIND_STRUCT:
        if (item->unit == 0)
            return spork__fail(SPORK_INVALID, "argument %u is %s whose elements have no size", number,
                               kind_name(item->kind));
        if (item->as.p == NULL && item->count > 0)
            return spork__fail(SPORK_INVALID, "argument %u is %s at NULL", number, kind_name(item->kind));
        break;
    case SPORK__KIND_POINTER: return SPORK_OK;
    default:
        if (item->kind < SPORK__KIND_OBJECT)
            return spork__fail(SPORK_INVALID, "argument %u is no value: make it by spork_pack", number);
        return SPORK_OK;
    }
    if (!payload_size(item->kind, item->unit, *count, size))
        return spork__fail(SPORK_TOO_LARGE, "argument %u is larger than " MOST, number);
    return SPORK_OK;
}

static spork_status check_count(const spork_args *args)
{
    if (args == NULL) return spork__fail(SPORK_INVALID, "the args are NULL");
    if (args->count > SPORK_MAX_VALUES)
        return spork__fail(SPORK_INVALID, "the args claim %u values, and 16 is the most: were they made by spork_pack?",
                           args->count);
    return SPORK_OK;
}

/* As measure, for the encoding: an object's payload is its parcel's, a pointer is refused. */
static spork_status measure_message(const spork_args *args, unsigned i, const spork__parcels *parcels, entry *e,
                                    const void **data, uint64_t *size)
{
    const spork_item *item = &args->items[i];
    e->kind = item->kind;
    e->flags = 0;
    e->unit = item->kind <= SPORK__KIND_FLOAT ? 0 : item->unit;
    if (item->kind == SPORK__KIND_POINTER)
        return spork__fail(SPORK_INVALID, "argument %u is a plain pointer, which means nothing to another process",
                           i + 1);
    if (item->kind < SPORK__KIND_OBJECT) return measure(item, i + 1, data, &e->value, size);
    if (parcels == NULL)
        return spork__fail(SPORK_INVALID, "argument %u is a %s, which cannot travel here", i + 1,
                           kind_name(item->kind));
    *data = parcels->parcel[i].bytes;
    *size = e->value = parcels->parcel[i].size;
    e->unit = (uint32_t)parcels->parcel[i].handle_count;
    return SPORK_OK;
}

/* ---- encode, decode ---- */

spork_status spork__values_size_with(const spork_args *args, const spork__parcels *parcels, size_t *size)
{
    spork_status status = check_count(args);
    if (status != SPORK_OK) return status;
    uint64_t total = sizeof(header) + (uint64_t)args->count * sizeof(entry);
    for (unsigned i = 0; i < args->count; i++) {
        entry e;
        const void *data;
        uint64_t bytes;
        if ((status = measure_message(args, i, parcels, &e, &data, &bytes)) != SPORK_OK) return status;
        total += padded(bytes);
    }
    if (total > MAX_SIZE)
        return spork__fail(SPORK_TOO_LARGE, "the arguments are %llu bytes, and " MOST " are the most",
                           (unsigned long long)total);
    *size = (size_t)total;
    return SPORK_OK;
}

spork_status spork__values_encode_with(const spork_args *args, const spork__parcels *parcels, void *to, size_t size)
{
    size_t needed = 0;
    spork_status status = spork__values_size_with(args, parcels, &needed);
    if (status != SPORK_OK) return status;
    if (needed != size) /* a string grew since it was measured: another thread writes to it */
        return spork__fail(SPORK_INVALID, "the arguments changed while they were sent: %zu bytes became %zu", size,
                           needed);
    header *h = to;
    entry *entries = (entry *)(h + 1);
    unsigned char *at = (unsigned char *)(entries + args->count), *end = (unsigned char *)to + size;
    h->magic = MAGIC;
    h->count = args->count;
    h->size = size;
    for (unsigned i = 0; i < args->count; i++) {
        const void *data;
        uint64_t bytes;
        if ((status = measure_message(args, i, parcels, &entries[i], &data, &bytes)) != SPORK_OK) return status;
        if (padded(bytes) > (uint64_t)(end - at))
            return spork__fail(SPORK_INVALID, "argument %u changed while it was sent", i + 1);
        spork__copy(at, data, (size_t)bytes);
        memset(at + bytes, 0, (size_t)(padded(bytes) - bytes));
        if (entries[i].kind == SPORK__KIND_TEXT) at[bytes - 1] = 0;
        at += padded(bytes);
    }
    return SPORK_OK;
}

/* Checks one entry and its payload at `at`, of which `left` bytes exist. */
static const char *decode_entry(const entry *e, const unsigned char *at, uint64_t left, bool with_objects,
                                spork_item *item, uint64_t *used)
{
    uint64_t bytes;
    bool scalar = e->kind == SPORK__KIND_INT || e->kind == SPORK__KIND_UINT || e->kind == SPORK__KIND_FLOAT;
    bool data = e->kind >= SPORK__KIND_TEXT && e->kind <= SPORK__KIND_ARRAY;
    bool object = e->kind >= SPORK__KIND_OBJECT && with_objects;
    if (!scalar && !data && !object) return "is of an unknown kind";
    if (e->flags != 0) return "has flags";
    if (scalar && e->unit != 0) return "has a unit";
    if (data && e->unit == 0) return "has elements without a size";
    if ((e->kind == SPORK__KIND_TEXT || e->kind == SPORK__KIND_BYTES) && e->unit != 1) return "has a unit";
    if (e->kind == SPORK__KIND_STRUCT && e->value != 1) return "is a struct that is not one";
    if (object && (e->unit > SPORK__PARCEL_HANDLES || e->value > SPORK__PARCEL_BYTES)) return "is too large an object";
    if (!payload_size(e->kind, e->unit, e->value, &bytes) || padded(bytes) > left) return "reaches behind the end";
    for (uint64_t i = bytes; i < padded(bytes); i++)
        if (at[i] != 0) return "has padding that is not zero";
    if (e->kind == SPORK__KIND_TEXT && memchr(at, 0, (size_t)bytes) != at + bytes - 1) return "is not a string";
    item->kind = e->kind;
    item->flags = 0;
    item->unit = e->unit;
    item->as.u = e->value;
    item->count = scalar ? 1 : e->value;
    if (!scalar) {
        item->as.u = 0;
        item->as.p = at;
    }
    *used = padded(bytes);
    return NULL;
}

spork_status spork__values_decode_with(const void *from, size_t size, spork_args *args, bool with_objects)
{
    const header *h = from;
    if (from == NULL || (uintptr_t)from % 16 != 0)
        return spork__fail(SPORK_BAD_MESSAGE, "the message is not aligned to 16 bytes");
    if (size < sizeof *h)
        return spork__fail(SPORK_BAD_MESSAGE, "the message is cut off: %zu bytes are no header", size);
    if (h->magic != MAGIC) return spork__fail(SPORK_BAD_MESSAGE, "the message does not begin as Spork's values do");
    if (h->size != size)
        return spork__fail(SPORK_BAD_MESSAGE, "the message claims %llu bytes, and %zu came",
                           (unsigned long long)h->size, size);
    if (h->count > SPORK_MAX_VALUES || h->count * sizeof(entry) > size - sizeof *h)
        return spork__fail(SPORK_BAD_MESSAGE, "the message claims %u values, which it cannot hold", h->count);
    const entry *entries = (const entry *)(h + 1);
    const unsigned char *at = (const unsigned char *)(entries + h->count), *end = (const unsigned char *)from + size;
    spork_args result = SPORK_NO_ARGS;
    for (unsigned i = 0; i < h->count; i++) {
        uint64_t used = 0;
        const char *wrong = decode_entry(&entries[i], at, (uint64_t)(end - at), with_objects, &result.items[i], &used);
        if (wrong != NULL) return spork__fail(SPORK_BAD_MESSAGE, "the message is damaged: value %u %s", i + 1, wrong);
        at += used;
    }
    if (at != end)
        return spork__fail(SPORK_BAD_MESSAGE, "the message has %zu bytes more than its values", (size_t)(end - at));
    result.count = h->count;
    result.origin = spork__values_origin();
    *args = result;
    return SPORK_OK;
}

spork_status spork__values_size(const spork_args *args, size_t *size)
{
    return spork__values_size_with(args, NULL, size);
}
spork_status spork__values_encode(const spork_args *args, void *to, size_t size)
{
    return spork__values_encode_with(args, NULL, to, size);
}
spork_status spork__values_decode(const void *from, size_t size, spork_args *args)
{
    return spork__values_decode_with(from, size, args, false);
}

/* ---- copy ---- */

spork_status spork__values_copy(const spork_args *args, spork_args **copy)
{
    spork_status status = check_count(args);
    uint64_t total = padded(sizeof **copy), size;
    const void *data;
    uint64_t count;
    for (unsigned i = 0; status == SPORK_OK && i < args->count; i++) {
        status = measure(&args->items[i], i + 1, &data, &count, &size);
        if (status == SPORK_OK) total += padded(size);
    }
    if (status != SPORK_OK) return status;
    if (total > MAX_SIZE)
        return spork__fail(SPORK_TOO_LARGE, "the arguments are larger than " MOST);
    spork_args *result = spork__alloc((size_t)total, "arguments");
    if (result == NULL) return SPORK_NO_MEMORY;
    unsigned char *at = (unsigned char *)result + padded(sizeof *result), *end = (unsigned char *)result + total;
    *result = *args;
    result->origin = spork__values_origin();
    for (unsigned i = 0; status == SPORK_OK && i < args->count; i++) {
        spork_item *item = &result->items[i];
        status = measure(&args->items[i], i + 1, &data, &count, &size);
        if (status != SPORK_OK) break;
        if (item->kind < SPORK__KIND_TEXT || item->kind > SPORK__KIND_ARRAY) continue;
        if (padded(size) > (uint64_t)(end - at)) {
            status = spork__fail(SPORK_INVALID, "argument %u changed while it was copied", i + 1);
            break;
        }
        spork__copy(at, data, (size_t)size);
        if (item->kind == SPORK__KIND_TEXT) at[size - 1] = 0;
        item->as.p = at;
        item->count = count;
        at += padded(size);
    }
    if (status != SPORK_OK)
        spork__free(result);
    else
        *copy = result;
    return status;
}

void spork__values_free_copy(spork_args *copy) { spork__free(copy); }

/* ---- unpack ---- */

static spork_status mismatch(unsigned number, const spork_item *item, const spork_slot *slot)
{
    return spork__fail(SPORK_INVALID, "spork_unpack: argument %u is %s, and the variable given for it takes %s", number,
                       kind_name(item->kind), kind_name(slot->kind));
}

static spork_status at_null(unsigned number, const spork_item *item)
{
    return spork__fail(SPORK_INVALID, "spork_unpack: argument %u is %s at NULL", number, kind_name(item->kind));
}

static void store_integer(void *to, uint32_t size, uint64_t bits)
{
    uint8_t b1 = (uint8_t)bits;
    uint16_t b2 = (uint16_t)bits;
    uint32_t b4 = (uint32_t)bits;
    if (size == 1)
        memcpy(to, &b1, 1);
    else if (size == 2)
        memcpy(to, &b2, 2);
    else if (size == 4)
        memcpy(to, &b4, 4);
    else
        memcpy(to, &bits, 8);
}

static spork_status unpack_integer(unsigned number, const spork_item *item, const spork_slot *slot, bool store)
{
    if (item->kind != SPORK__KIND_INT && item->kind != SPORK__KIND_UINT) return mismatch(number, item, slot);
    bool negative = item->kind == SPORK__KIND_INT && item->as.i < 0, fits;
    unsigned bits = slot->unit * 8;
    if (bits != 8 && bits != 16 && bits != 32 && bits != 64)
        return spork__fail(SPORK_INVALID, "spork_unpack: the variable for argument %u is no integer", number);
    if (slot->kind == SPORK__KIND_INT)
        fits = negative ? item->as.i >= -(int64_t)(((uint64_t)1 << (bits - 1)) - 1) - 1 : item->as.u >> (bits - 1) == 0;
    else if (slot->kind == SPORK__KIND_BOOL)
        fits = !negative && item->as.u <= 1;
    else
        fits = !negative && (bits == 64 || item->as.u >> bits == 0);
    if (!fits) {
        char text[32];
        if (negative)
            snprintf(text, sizeof text, "%lld", (long long)item->as.i);
        else
            snprintf(text, sizeof text, "%llu", (unsigned long long)item->as.u);
        return spork__fail(SPORK_INVALID, "spork_unpack: argument %u is %s, which does not fit %s of %u bits", number,
                           text,
                           slot->kind == SPORK__KIND_INT    ? "a signed integer"
                           : slot->kind == SPORK__KIND_BOOL ? "a bool"
                                                            : "an unsigned integer",
                           bits);
    }
    if (store) store_integer(slot->to, slot->unit, item->as.u);
    return SPORK_OK;
}

static spork_status unpack_float(unsigned number, const spork_item *item, const spork_slot *slot, bool store)
{
    double value = item->as.f;
    if (slot->unit == sizeof value) {
        if (store) memcpy(slot->to, &value, sizeof value);
        return SPORK_OK;
    }
    /* a double beyond float's range must not be converted (undefined); infinities and NaN may */
    bool ordinary = value - value == 0;
    if (ordinary && (value > 3.4028234663852886e38 || value < -3.4028234663852886e38))
        return spork__fail(SPORK_INVALID, "spork_unpack: argument %u is %g, which does not fit a float", number, value);
    float narrow = (float)value;
    if (ordinary && ((double)narrow > value || (double)narrow < value))
        return spork__fail(SPORK_INVALID, "spork_unpack: argument %u is %.17g, which a float cannot hold exactly",
                           number, value);
    if (store) memcpy(slot->to, &narrow, sizeof narrow);
    return SPORK_OK;
}

static spork_status unpack_text_into(unsigned number, const spork_item *item, const spork_slot *slot, bool store)
{
    if (item->kind != SPORK__KIND_TEXT) return mismatch(number, item, slot);
    if (item->as.p == NULL) return at_null(number, item);
    const char *text = item->as.p;
    size_t length = item->count > 0 ? (size_t)item->count : strlen(text);
    if (length >= slot->unit)
        return spork__fail(SPORK_TOO_SMALL,
                           "spork_unpack: argument %u is a string of %zu bytes, and its buffer has room for %u", number,
                           length + 1, slot->unit);
    if (store) {
        memcpy(slot->to, text, length);
        ((char *)slot->to)[length] = 0;
    }
    return SPORK_OK;
}

/* Structs and arrays: what differs is whether the elements are copied or pointed to. */
static spork_status unpack_elements(unsigned number, const spork_item *item, const spork_slot *slot, bool store)
{
    if (item->kind != slot->kind) return mismatch(number, item, slot);
    if (item->unit != slot->unit)
        return spork__fail(SPORK_INVALID, "spork_unpack: argument %u is %s of %u bytes, and the variable's has %u",
                           number, slot->kind == SPORK__KIND_STRUCT ? "a struct" : "an array with elements", item->unit,
                           slot->unit);
    if (item->as.p == NULL && item->count > 0) return at_null(number, item);
    if (slot->kind == SPORK__KIND_ARRAY && slot->count == NULL)
        return spork__fail(SPORK_INVALID, "spork_unpack: there is no variable for the length of argument %u", number);
    if (!store) return SPORK_OK;
    if (slot->kind == SPORK__KIND_STRUCT)
        spork__copy(slot->to, item->as.p, item->unit);
    else {
        memcpy(slot->to, &item->as.p, sizeof item->as.p);
        *slot->count = (size_t)item->count;
    }
    return SPORK_OK;
}

static spork_status unpack_one(const spork_args *args, unsigned number, const spork_slot *slot, bool store)
{
    const spork_item *item = &args->items[number - 1];
    if (slot->to == NULL)
        return spork__fail(SPORK_INVALID, "spork_unpack: the variable for argument %u is at NULL", number);
    switch (slot->kind) {
    case SPORK__KIND_INT:
    case SPORK__KIND_UINT:
    case SPORK__KIND_BOOL: return unpack_integer(number, item, slot, store);
    case SPORK__KIND_TEXT_INTO: return unpack_text_into(number, item, slot, store);
    case SPORK__KIND_STRUCT:
    case SPORK__KIND_ARRAY: return unpack_elements(number, item, slot, store);
    default: break;
    }
    if (item->kind != slot->kind || slot->kind == SPORK__KIND_NONE) return mismatch(number, item, slot);
    if (slot->kind == SPORK__KIND_FLOAT) return unpack_float(number, item, slot, store);
    if (slot->kind >= SPORK__KIND_OBJECT && args->origin != 0 && args->origin != spork__values_origin())
        return spork__fail(SPORK_INVALID,
                           "spork_unpack: argument %u, a %s, belongs to another copy of Spork in this process; let the "
                           "program and its plug-ins link the shared library",
                           number, kind_name(item->kind));
    bool needs_data = slot->kind == SPORK__KIND_TEXT || slot->kind >= SPORK__KIND_OBJECT ||
                      (slot->kind == SPORK__KIND_BYTES && item->count > 0);
    if (needs_data && item->as.p == NULL) return at_null(number, item);
    if (!store) return SPORK_OK;
    if (slot->kind == SPORK__KIND_BYTES)
        *(spork_bytes *)slot->to = spork_bytes_of(item->as.p, (size_t)item->count);
    else
        memcpy(slot->to, &item->as.p, sizeof item->as.p); /* text, pointer, object */
    return SPORK_OK;
}

spork_status spork__unpack(const spork_args *args, size_t count, const spork_slot *slots)
{
    spork_status status = check_count(args);
    if (status != SPORK_OK) return status;
    if (count > args->count)
        return spork__fail(SPORK_INVALID,
                           "spork_unpack: argument %u is missing: %u values were packed, %zu are asked for",
                           args->count + 1, args->count, count);
    if (count < args->count)
        return spork__fail(SPORK_INVALID,
                           "spork_unpack: argument %zu has no variable: %u values were packed, %zu are asked for",
                           count + 1, args->count, count);
    for (int store = 0; store < 2; store++) /* first look at all, then store all */
        for (unsigned i = 0; i < count; i++)
            if ((status = unpack_one(args, i + 1, &slots[i], store)) != SPORK_OK) return status;
    return SPORK_OK;
}
