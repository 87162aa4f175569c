/* Any bytes as a message of values: refused, or args that lie within the message, encode to the very same bytes (so
 * decode accepts nothing that encode did not write), copy, and unpack. */
#include <spork/spork.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "value.h"

static volatile unsigned sink;

/* Bytes that an item points to; 0 if it is a number. */
static uint64_t payload_size(const spork_item *item)
{
    switch (item->kind) {
    case SPORK__KIND_TEXT: return item->count + 1;
    case SPORK__KIND_BYTES: return item->count;
    case SPORK__KIND_STRUCT:
    case SPORK__KIND_ARRAY:
        EXPECT(item->unit > 0 && item->count <= SIZE_MAX / item->unit);
        return item->count * item->unit;
    default: EXPECT(item->kind >= SPORK__KIND_INT && item->kind <= SPORK__KIND_FLOAT); return 0;
    }
}

static void walk(const spork_args *args, const unsigned char *block, size_t size)
{
    unsigned sum = 0;
    EXPECT(args->count <= SPORK_MAX_VALUES);
    for (uint32_t i = 0; i < args->count; i++) {
        const spork_item *item = &args->items[i];
        uint64_t bytes = payload_size(item);
        if (item->kind <= SPORK__KIND_FLOAT) continue;
        uintptr_t at = (uintptr_t)item->as.p, begin = (uintptr_t)block;
        EXPECT(at % 16 == 0 && at >= begin && at - begin <= size && bytes <= size - (at - begin));
        for (uint64_t k = 0; k < bytes; k++) sum += ((const unsigned char *)item->as.p)[k];
        if (item->kind == SPORK__KIND_TEXT) EXPECT(strlen(item->as.p) == item->count);
    }
    sink = sink + sum;
}

static void expect_same_encoding(const spork_args *args, const void *block, size_t size)
{
    size_t again = 0;
    EXPECT(spork__values_size(args, &again) == SPORK_OK && again == size);
    void *copy = malloc(size);
    if (copy == NULL) return;
    EXPECT(spork__values_encode(args, copy, size) == SPORK_OK && memcmp(copy, block, size) == 0);
    free(copy);
}

/* The variables that these values ask for must take them. */
static void unpack_as_packed(const spork_args *args)
{
    spork_slot slots[SPORK_MAX_VALUES];
    struct {
        int64_t i;
        uint64_t u;
        double f;
        const char *text;
        spork_bytes bytes;
        const void *array;
        size_t count;
        void *structure;
    } to[SPORK_MAX_VALUES];
    memset(to, 0, sizeof to);
    for (uint32_t i = 0; i < args->count; i++) {
        const spork_item *item = &args->items[i];
        switch (item->kind) {
        case SPORK__KIND_INT: slots[i] = spork__slot(SPORK__KIND_INT, &to[i].i, sizeof to[i].i, NULL); break;
        case SPORK__KIND_UINT: slots[i] = spork__slot(SPORK__KIND_UINT, &to[i].u, sizeof to[i].u, NULL); break;
        case SPORK__KIND_FLOAT: slots[i] = spork__to_f64(&to[i].f); break;
        case SPORK__KIND_TEXT: slots[i] = spork__to_text(&to[i].text); break;
        case SPORK__KIND_BYTES: slots[i] = spork__to_bytes(&to[i].bytes); break;
        case SPORK__KIND_ARRAY:
            slots[i] = spork__slot(SPORK__KIND_ARRAY, &to[i].array, item->unit, &to[i].count);
            break;
        default:
            to[i].structure = malloc(item->unit);
            EXPECT(to[i].structure != NULL);
            slots[i] = spork__slot(SPORK__KIND_STRUCT, to[i].structure, item->unit, NULL);
        }
    }
    EXPECT(spork__unpack(args, args->count, slots) == SPORK_OK);
    for (uint32_t i = 0; i < args->count; i++) {
        const spork_item *item = &args->items[i];
        switch (item->kind) {
        case SPORK__KIND_INT: EXPECT(to[i].i == item->as.i); break;
        case SPORK__KIND_UINT: EXPECT(to[i].u == item->as.u); break;
        case SPORK__KIND_FLOAT: EXPECT(memcmp(&to[i].f, &item->as.f, sizeof to[i].f) == 0); break;
        case SPORK__KIND_TEXT: EXPECT(to[i].text == item->as.p); break;
        case SPORK__KIND_BYTES: EXPECT(to[i].bytes.data == item->as.p && to[i].bytes.size == item->count); break;
        case SPORK__KIND_ARRAY: EXPECT(to[i].array == item->as.p && to[i].count == item->count); break;
        default: EXPECT(memcmp(to[i].structure, item->as.p, item->unit) == 0);
        }
        free(to[i].structure);
    }
}

/* Variables of any type, chosen by `choice`: stored, or refused with all of them untouched. */
static void unpack_as_anything(const spork_args *args, uint32_t choice)
{
    union target {
        signed char i8;
        unsigned short u16;
        bool b;
        double d;
        float f;
        const char *text;
        char buffer[6];
        spork_bytes bytes;
        unsigned char structure[8];
        struct {
            const int32_t *p;
            size_t n;
        } array;
        void *pointer;
    } to[SPORK_MAX_VALUES], before;
    spork_slot slots[SPORK_MAX_VALUES];
    memset(to, 0xA5, sizeof to);
    memset(&before, 0xA5, sizeof before);
    for (uint32_t i = 0; i < args->count; i++) {
        switch ((choice >> (i % 8 * 4) ^ i) % 11) {
        case 0: slots[i] = spork__to_i8(&to[i].i8); break;
        case 1: slots[i] = spork__to_u16(&to[i].u16); break;
        case 2: slots[i] = spork__to_b(&to[i].b); break;
        case 3: slots[i] = spork__to_f64(&to[i].d); break;
        case 4: slots[i] = spork__to_f32(&to[i].f); break;
        case 5: slots[i] = spork__to_text(&to[i].text); break;
        case 6: slots[i] = spork_text_into(to[i].buffer, choice % (sizeof to[i].buffer + 1)); break;
        case 7: slots[i] = spork__to_bytes(&to[i].bytes); break;
        case 8: slots[i] = spork_struct_into(&to[i].structure); break;
        case 9: slots[i] = spork_array_into(&to[i].array.p, &to[i].array.n); break;
        default: slots[i] = spork_pointer_into(&to[i].pointer);
        }
    }
    spork_status status = spork__unpack(args, args->count, slots);
    EXPECT(status == SPORK_OK || status == SPORK_INVALID || status == SPORK_TOO_SMALL);
    if (status == SPORK_OK) return;
    for (uint32_t i = 0; i < SPORK_MAX_VALUES; i++) EXPECT(memcmp(&to[i], &before, sizeof before) == 0);
}

/* With objects, which are bytes and a number of handles still: what they came as encodes to the same bytes again. */
static void decode_objects(const unsigned char *block, size_t size)
{
    static spork__parcels parcels;
    spork_args args = SPORK_NO_ARGS;
    size_t again = 0, handles = 0;
    if (spork__values_decode_with(block, size, &args, true) != SPORK_OK) return;
    for (uint32_t i = 0; i < args.count; i++) {
        const spork_item *item = &args.items[i];
        spork__parcel *p = &parcels.parcel[i];
        if (item->kind < SPORK__KIND_OBJECT) continue;
        EXPECT(item->count <= sizeof p->bytes && item->unit <= SPORK__PARCEL_HANDLES);
        p->size = (size_t)item->count;
        p->handle_count = item->unit;
        handles += item->unit;
        if (p->size > 0) memcpy(p->bytes, item->as.p, p->size);
    }
    EXPECT(spork__objects_wanted(&args) == handles);
    EXPECT(spork__values_size_with(&args, &parcels, &again) == SPORK_OK && again == size);
    void *copy = malloc(size);
    EXPECT(copy != NULL && spork__values_encode_with(&args, &parcels, copy, size) == SPORK_OK);
    EXPECT(memcmp(copy, block, size) == 0);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *block = malloc(size); /* exactly as large, so that a byte too far is seen */
    if (block == NULL || (uintptr_t)block % 16 != 0) {
        free(block);
        return 0;
    }
    if (size > 0) memcpy(block, data, size);
    spork_args args = SPORK_NO_ARGS;
    spork_status status = spork__values_decode(block, size, &args);
    EXPECT(status == SPORK_OK || status == SPORK_BAD_MESSAGE);
    decode_objects(block, size);
    if (status == SPORK_OK) {
        spork_args *copy = NULL;
        walk(&args, block, size);
        expect_same_encoding(&args, block, size);
        EXPECT(spork__values_copy(&args, &copy) == SPORK_OK);
        expect_same_encoding(copy, block, size);
        spork__values_free_copy(copy);
        unpack_as_packed(&args);

        uint32_t hash = 2166136261u; /* the choice follows from the input, so that a failure can be repeated */
        for (size_t i = 0; i < size; i++) hash = (hash ^ data[i]) * 16777619u;
        for (int round = 0; round < 4; round++) unpack_as_anything(&args, hash = hash * 1664525u + 1013904223u);
    }
    free(block);
    return 0;
}
