/* Any bytes as a bootstrap record: refused with a sentence, or a description of a child that lies within the record, and that, written as a
 * record again, reads the same. A version of 0 stands for the library's own: so kept inputs stay good for the next one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "record.h"
#include "value.h"

static volatile unsigned sink;

static void walk(const void *data, size_t size, const unsigned char *block, size_t block_size)
{
    uintptr_t at = (uintptr_t)data, begin = (uintptr_t)block;
    unsigned sum = 0;
    EXPECT(at >= begin && at - begin <= block_size && size <= block_size - (at - begin));
    for (size_t i = 0; i < size; i++) sum += ((const unsigned char *)data)[i];
    sink = sink + sum;
}

static void walk_text(const char *text, const unsigned char *block, size_t size)
{
    walk(text, 1, block, size);
    walk(text, strlen(text) + 1, block, size);
}

static void walk_all(const spork__startup *s, const unsigned char *block, size_t size)
{
    walk_text(s->name, block, size);
    walk_text(s->parent_name, block, size);
    if (s->executable != NULL) walk_text(s->executable, block, size);
    walk(s->self, s->self_size, block, size);
    EXPECT(s->handle_count >= SPORK__GIVEN_OBJECTS && (uintptr_t)s->handles % sizeof(int64_t) == 0);
    walk(s->handles, (s->handle_count + s->pass_count) * sizeof *s->handles, block, size);
    walk(s->function, sizeof *s->function, block, size);
    EXPECT(s->args.count <= SPORK_MAX_VALUES);
    EXPECT((unsigned)s->method <= SPORK_FORKSERVER);
}

/* What objects came as, which is what they would be sent as. */
static spork__parcels *parcels_of(const spork_args *args)
{
    spork__parcels *parcels = calloc(1, sizeof *parcels);
    EXPECT(parcels != NULL);
    for (uint32_t i = 0; i < args->count; i++) {
        const spork_item *item = &args->items[i];
        spork__parcel *p = &parcels->parcel[i];
        if (item->kind < SPORK__KIND_OBJECT) continue;
        EXPECT(item->count <= sizeof p->bytes && item->unit <= SPORK__PARCEL_HANDLES);
        p->size = (size_t)item->count;
        p->handle_count = item->unit;
        if (p->size > 0) memcpy(p->bytes, item->as.p, p->size);
    }
    return parcels;
}

static void expect_same(const spork__startup *a, const spork__startup *b)
{
    EXPECT(strcmp(a->name, b->name) == 0 && strcmp(a->parent_name, b->parent_name) == 0);
    EXPECT((a->executable == NULL) == (b->executable == NULL));
    EXPECT(a->executable == NULL || strcmp(a->executable, b->executable) == 0);
    EXPECT(a->nonce == b->nonce && a->is_server == b->is_server && a->use_run == b->use_run);
    EXPECT(a->outlive_parent == b->outlive_parent && a->method == b->method);
    EXPECT(a->parent_pid == b->parent_pid && a->parent_start == b->parent_start);
    EXPECT(memcmp(a->function, b->function, sizeof *a->function) == 0);
    EXPECT(a->limits.max_memory == b->limits.max_memory && a->limits.max_cpu_ms == b->limits.max_cpu_ms);
    EXPECT(a->limits.max_files == b->limits.max_files);
    EXPECT(a->self_size == b->self_size && memcmp(a->self, b->self, a->self_size) == 0);
    EXPECT(a->handle_count == b->handle_count && a->pass_count == b->pass_count && a->args.count == b->args.count);
    for (size_t i = 0; i < a->pass_count; i++)
        EXPECT((spork_native)a->handles[a->handle_count + i] == (spork_native)b->handles[a->handle_count + i]);
}

static void write_and_read(spork__startup *s)
{
    spork__startup again;
    size_t size = 0;
    int64_t *handles;
    spork__parcels *parcels = parcels_of(&s->args);
    spork_native *pass = calloc(s->pass_count + 1, sizeof *pass);
    EXPECT(pass != NULL);
    for (size_t i = 0; i < s->pass_count; i++) pass[i] = (spork_native)s->handles[s->handle_count + i];
    s->parcels = parcels;
    s->pass = pass;
    EXPECT(spork__record_size(s, &size) == SPORK_OK);
    void *block = malloc(size);
    EXPECT(block != NULL && spork__record_write(s, block, size, &handles) == SPORK_OK);
    EXPECT(spork__record_read(block, size, &again) == SPORK_OK);
    expect_same(s, &again);
    EXPECT(handles == again.handles);
    free(block);
    free(pass);
    free(parcels);
}

static void target_for_import(void) { sink = sink + 1; }

/* Where its function is, as far as that is in this program: no path of a record's is ever opened here. */
static void import(const spork__startup *s)
{
    static spork__function here;
    spork__function f = *s->function;
    uintptr_t address = 0;
    if (here.offset == 0) EXPECT(spork__function_export((uintptr_t)&target_for_import, &here) == SPORK_OK);
    f.is_program = 1;
    if (f.identity[0] % 2 == 0) memcpy(f.identity, here.identity, sizeof f.identity);
    spork_status status = spork__function_import(&f, &address);
    EXPECT(status == SPORK_OK || (spork_error()[0] != 0 && address == 0));
    if (status == SPORK_OK) EXPECT(spork__os_image_holds_code(address));
}

static void put_version(unsigned char *block, size_t size)
{
    enum { PLACE = 12 };
    uint32_t version = 0;
    if (size < PLACE + sizeof version || memcmp(block + PLACE, &version, sizeof version) != 0) return;
    version = SPORK_VERSION_NUMBER;
    memcpy(block + PLACE, &version, sizeof version);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    spork__startup startup;
    unsigned char *block = malloc(size); /* exactly as large, so that a byte too far is seen */
    if (block == NULL || (uintptr_t)block % 16 != 0) {
        free(block);
        return 0;
    }
    if (size > 0) memcpy(block, data, size);
    put_version(block, size);
    spork_status status = spork__record_read(block, size, &startup);
    EXPECT(status == SPORK_OK || status == SPORK_BAD_MESSAGE || status == SPORK_UNSUPPORTED);
    if (status == SPORK_OK) {
        walk_all(&startup, block, size);
        write_and_read(&startup);
        import(&startup);
    } else {
        EXPECT(spork_error()[0] != 0);
    }
    free(block);
    return 0;
}
