/* Writes inputs that the library's own encoders make, for the fuzzer to begin with: DIR/value/…, DIR/record/…, DIR/connection/…
 * (scripts/fuzz.sh). So they follow the encodings, whatever these become. */
#include <spork/spork.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "record.h"
#include "value.h"

static const char *directory;

static void save(const char *target, const char *name, const void *head, size_t head_size, const void *data, size_t size)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s/%s", directory, target, name);
    FILE *f = fopen(path, "wb");
    EXPECT(f != NULL && fwrite(head, 1, head_size, f) == head_size && fwrite(data, 1, size, f) == size);
    EXPECT(fclose(f) == 0);
}

/* ---- values, and messages of them ---- */

static void save_values(const char *name, spork_args args, const spork__parcels *parcels)
{
    size_t size;
    EXPECT(spork__values_size_with(&args, parcels, &size) == SPORK_OK);
    void *block = malloc(size);
    EXPECT(block != NULL && spork__values_encode_with(&args, parcels, block, size) == SPORK_OK);
    save("value", name, "", 0, block, size);
    const unsigned char length[4] = {0, 0, (unsigned char)(size >> 8), (unsigned char)size}; /* as Python frames it */
    save("connection", name, length, sizeof length, block, size);
    free(block);
}

typedef struct point {
    int x, y;
} point;

static spork__parcels one_parcel;

static spork_args with_object(void)
{
    spork_args args = spork_pack(7, "name");
    spork__parcel *p = &one_parcel.parcel[2];
    args.items[2] = (spork_item){.kind = SPORK__KIND_QUEUE, .count = 1};
    args.items[2].as.p = p;
    args.count = 3;
    p->size = 16;
    p->handle_count = 2;
    memset(p->bytes, 3, p->size);
    return args;
}

static void save_all_values(void)
{
    const double numbers[] = {1.5, -2, 1e300};
    const point p = {3, 4};
    save_values("none", SPORK_NO_ARGS, NULL);
    save_values("integers", spork_pack(-1, 2u, (int8_t)-128, UINT64_MAX, true), NULL);
    save_values("floats", spork_pack(0.5f, -1e308), NULL);
    save_values("texts", spork_pack("", "a", "sixteen letters!"), NULL);
    save_values("bytes", spork_pack(spork_bytes_of("\0\1\2", 3), spork_bytes_of(NULL, 0)), NULL);
    save_values("elements", spork_pack(spork_struct(&p), spork_array(numbers, 3)), NULL);
    save_values("sixteen", spork_pack(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, "16"), NULL);
    save_values("object", with_object(), &one_parcel);
}

/* ---- records ---- */

static void save_record(const char *name, const spork__startup *startup)
{
    size_t size;
    int64_t *handles;
    EXPECT(spork__record_size(startup, &size) == SPORK_OK);
    void *block = malloc(size);
    EXPECT(block != NULL && spork__record_write(startup, block, size, &handles) == SPORK_OK);
    memset((char *)block + 12, 0, 4); /* its version: see fuzz_record.c */
    save("record", name, "", 0, block, size);
    free(block);
}

static void save_all_records(void)
{
    int self[4] = {1, 2, 3, 4};
    const spork_native pass[] = {5, 6};
    spork__function function = {.offset = 0x1234, .is_program = 1, .path = "/program"};
    spork__startup s = {.name = "Process-1",
                        .nonce = 42,
                        .parent_pid = 100,
                        .parent_start = 7,
                        .parent_name = "MainProcess",
                        .function = &function,
                        .args = SPORK_NO_ARGS,
                        .method = SPORK_SPAWN,
                        .handle_count = SPORK__GIVEN_OBJECTS};
    save_record("plain", &s);
    s.args = spork_pack(1, "two", 3.0);
    s.self = self;
    s.self_size = sizeof self;
    s.use_run = s.outlive_parent = true;
    s.executable = "/usr/bin/other";
    s.pass = pass;
    s.pass_count = 2;
    s.limits = (spork__limits){.max_memory = 1 << 20, .max_cpu_ms = 1000, .max_files = 10};
    save_record("all", &s);
    s.args = with_object();
    s.parcels = &one_parcel;
    s.handle_count += 2;
    s.is_server = true;
    save_record("object", &s);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "fuzz_seeds DIR: with the folders value, record and connection in it\n");
        return 64;
    }
    directory = argv[1];
    save_all_values();
    save_all_records();
    return 0;
}
