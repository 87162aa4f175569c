/* The bootstrap record.
 *
 *     record = header, then sections at 16-aligned offsets: name, parent's name, executable, self, handles, values
 *
 * It never leaves the machine, and the channel it comes by is private to parent and child; it is checked all the same,
 * because the child may be another build (spork_set_executable, a program replaced on disk), and because a fork server reads
 * it from a stream. */
#include "record.h"

#include <string.h>

#include "error.h"
#include "value.h"

typedef struct section {
    uint64_t offset, size;
} section;

typedef struct record {
    char magic[8];
    uint32_t layout, library_version, pointer_size, byte_order;
    uint64_t size, nonce;
    uint64_t control[2]; /* a fork server's record: what it shares with its owner (posix/forkserver.c) */
    uint32_t is_server, use_run, outlive_parent, method;
    int32_t parent_pid;
    uint32_t given_count, pass_count, max_files, ignored, started_by, daemon, unused;
    uint64_t parent_start, max_memory, max_cpu_ms;
    spork__function function;
    section name, parent_name, executable, self, values, handles;
} record;

static const char magic[8] = "SPORKBT";
enum { LAYOUT = 3, BYTE_ORDER_MARK = 0x01020304 };

/* ---- writing ---- */

static size_t text_size(const char *text) { return text == NULL ? 0 : strlen(text) + 1; }

/* Lays out one section behind `*end`. */
static section lay(uint64_t *end, uint64_t size)
{
    section s = {(*end + 15) & ~(uint64_t)15, size};
    *end = s.offset + size;
    return s;
}

static spork_status layout(const spork__startup *startup, record *r)
{
    size_t values = 0;
    spork_status status = spork__values_size_with(&startup->args, startup->parcels, &values);
    if (status != SPORK_OK) return status;
    uint64_t end = sizeof *r;
    r->name = lay(&end, text_size(startup->name));
    r->parent_name = lay(&end, text_size(startup->parent_name));
    r->executable = lay(&end, text_size(startup->executable));
    r->self = lay(&end, startup->self_size);
    r->handles = lay(&end, (startup->handle_count + startup->pass_count) * sizeof(int64_t));
    r->values = lay(&end, values);
    r->size = end;
    return end > SIZE_MAX ? spork__fail(SPORK_TOO_LARGE, "the arguments do not fit into memory") : SPORK_OK;
}

spork_status spork__record_size(const spork__startup *startup, size_t *size)
{
    record r;
    memset(&r, 0, sizeof r);
    spork_status status = layout(startup, &r);
    *size = (size_t)r.size;
    return status;
}

static void put(void *bytes, section s, const void *data)
{
    if (s.size > 0) memcpy((unsigned char *)bytes + s.offset, data, (size_t)s.size);
}

spork_status spork__record_write(const spork__startup *startup, void *bytes, size_t size, int64_t **handles)
{
    record *r = bytes;
    memset(r, 0, sizeof *r);
    spork_status status = layout(startup, r);
    if (status != SPORK_OK) return status;
    if (r->size != size) return spork__fail(SPORK_INVALID, "the arguments changed while the process was started");
    memcpy(r->magic, magic, sizeof magic);
    r->layout = LAYOUT;
    r->library_version = SPORK_VERSION_NUMBER;
    r->pointer_size = sizeof(void *);
    r->byte_order = BYTE_ORDER_MARK;
    r->nonce = startup->nonce;
    r->is_server = startup->is_server;
    r->use_run = startup->use_run;
    r->outlive_parent = startup->outlive_parent;
    r->method = startup->method;
    r->parent_pid = startup->parent_pid;
    r->parent_start = startup->parent_start;
    r->given_count = (uint32_t)startup->handle_count;
    r->pass_count = (uint32_t)startup->pass_count;
    r->max_memory = startup->limits.max_memory;
    r->max_cpu_ms = startup->limits.max_cpu_ms;
    r->max_files = startup->limits.max_files;
    r->ignored = startup->ignored;
    r->started_by = startup->started_by;
    r->daemon = startup->daemon;
    if (startup->function != NULL) r->function = *startup->function;
    put(bytes, r->name, startup->name);
    put(bytes, r->parent_name, startup->parent_name);
    put(bytes, r->executable, startup->executable);
    put(bytes, r->self, startup->self);
    int64_t *numbers = (int64_t *)(void *)((unsigned char *)bytes + r->handles.offset);
    for (size_t i = 0; i < startup->handle_count; i++) numbers[i] = -1;
    for (size_t i = 0; i < startup->pass_count; i++) numbers[startup->handle_count + i] = (int64_t)startup->pass[i];
    *handles = numbers;
    return spork__values_encode_with(&startup->args, startup->parcels, (unsigned char *)bytes + r->values.offset,
                                     (size_t)r->values.size);
}

void *spork__record_control(void *bytes) { return ((record *)bytes)->control; }

/* ---- reading ---- */

static bool inside(section s, uint64_t size)
{
    return s.offset % 16 == 0 && s.offset <= size && s.size <= size - s.offset;
}

static const char *text_at(void *bytes, section s)
{
    const char *text = (const char *)bytes + s.offset;
    return s.size > 0 && memchr(text, 0, (size_t)s.size) == text + s.size - 1 ? text : NULL;
}

static spork_status check_record(const record *r, size_t size)
{
    if (size < sizeof *r || memcmp(r->magic, magic, sizeof magic) != 0)
        return spork__fail(SPORK_BAD_MESSAGE, "the bootstrap record is damaged");
    if (r->pointer_size != sizeof(void *) || r->byte_order != BYTE_ORDER_MARK)
        return spork__fail(SPORK_UNSUPPORTED,
                           "the child is built for another machine (%zu-bit) than its parent (%u-bit)",
                           sizeof(void *) * 8, r->pointer_size * 8);
    if (r->layout != LAYOUT || r->library_version != SPORK_VERSION_NUMBER) /* they share memory: whatever fits a program is not enough */
        return spork__fail(
            SPORK_UNSUPPORTED, "the child has version %s of Spork and the parent %u.%u.%u: they do not go together",
            spork_version(), r->library_version / 10000, r->library_version / 100 % 100, r->library_version % 100);
    uint64_t numbers = ((uint64_t)r->given_count + r->pass_count) * sizeof(int64_t);
    if (r->size > size || r->size < sizeof *r || !inside(r->name, size) || !inside(r->parent_name, size) ||
        !inside(r->executable, size) || !inside(r->self, size) || !inside(r->values, size) ||
        !inside(r->handles, size) || r->handles.size != numbers || r->given_count < SPORK__GIVEN_OBJECTS)
        return spork__fail(SPORK_BAD_MESSAGE, "the bootstrap record is cut off or damaged");
    return SPORK_OK;
}

spork_status spork__record_read(void *bytes, size_t size, spork__startup *startup)
{
    record *r = bytes;
    spork_status status = check_record(r, size);
    if (status != SPORK_OK) return status;
    memset(startup, 0, sizeof *startup);
    startup->name = text_at(bytes, r->name);
    startup->parent_name = text_at(bytes, r->parent_name);
    startup->executable = text_at(bytes, r->executable);
    if (startup->name == NULL || startup->parent_name == NULL)
        return spork__fail(SPORK_BAD_MESSAGE, "the bootstrap record has no names");
    startup->nonce = r->nonce;
    startup->is_server = r->is_server != 0;
    startup->use_run = r->use_run != 0;
    startup->outlive_parent = r->outlive_parent != 0;
    startup->parent_pid = r->parent_pid;
    startup->parent_start = r->parent_start;
    startup->limits.max_memory = r->max_memory;
    startup->limits.max_cpu_ms = r->max_cpu_ms;
    startup->limits.max_files = r->max_files;
    startup->ignored = r->ignored;
    startup->started_by = (spork_start_method)r->started_by;
    startup->daemon = r->daemon != 0;
    startup->method = r->method <= SPORK_FORKSERVER ? (spork_start_method)r->method : SPORK_DEFAULT;
    startup->function = &r->function;
    startup->self = (unsigned char *)bytes + r->self.offset;
    startup->self_size = (size_t)r->self.size;
    startup->handles = (int64_t *)(void *)((unsigned char *)bytes + r->handles.offset);
    startup->handle_count = r->given_count;
    startup->pass_count = r->pass_count;
    return spork__values_decode_with((unsigned char *)bytes + r->values.offset, (size_t)r->values.size, &startup->args,
                                     true);
}
