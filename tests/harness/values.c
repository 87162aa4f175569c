#include "values.h"

#include <limits.h>
#include <string.h>

/* ---- integers ---------------------------------------------------------------------------------------------------- */

static values_number number(bool is_signed, int64_t i, uint64_t u)
{
    values_number n = {false, u};
    if (is_signed) {
        n.negative = i < 0;
        n.magnitude = i < 0 ? (uint64_t)0 - (uint64_t)i : (uint64_t)i;
    }
    return n;
}

/* X(name, type, is it signed, max) */
#define INTEGERS(X)                                                                                                    \
    X(bool, bool, 0, 1)                                                                                                \
    X(char, char, (CHAR_MIN < 0), CHAR_MAX)                                                                            \
    X(signed_char, signed char, 1, SCHAR_MAX)                                                                          \
    X(unsigned_char, unsigned char, 0, UCHAR_MAX)                                                                      \
    X(short, short, 1, SHRT_MAX)                                                                                       \
    X(unsigned_short, unsigned short, 0, USHRT_MAX)                                                                    \
    X(int, int, 1, INT_MAX)                                                                                            \
    X(unsigned_int, unsigned int, 0, UINT_MAX)                                                                         \
    X(long, long, 1, LONG_MAX)                                                                                         \
    X(unsigned_long, unsigned long, 0, ULONG_MAX)                                                                      \
    X(long_long, long long, 1, LLONG_MAX)                                                                              \
    X(unsigned_long_long, unsigned long long, 0, ULLONG_MAX)                                                           \
    X(int8_t, int8_t, 1, INT8_MAX)                                                                                     \
    X(uint8_t, uint8_t, 0, UINT8_MAX)                                                                                  \
    X(int16_t, int16_t, 1, INT16_MAX)                                                                                  \
    X(uint16_t, uint16_t, 0, UINT16_MAX)                                                                               \
    X(int32_t, int32_t, 1, INT32_MAX)                                                                                  \
    X(uint32_t, uint32_t, 0, UINT32_MAX)                                                                               \
    X(int64_t, int64_t, 1, INT64_MAX)                                                                                  \
    X(uint64_t, uint64_t, 0, UINT64_MAX)                                                                               \
    X(intmax_t, intmax_t, 1, INTMAX_MAX)                                                                               \
    X(uintmax_t, uintmax_t, 0, UINTMAX_MAX)                                                                            \
    X(intptr_t, intptr_t, 1, INTPTR_MAX)                                                                               \
    X(uintptr_t, uintptr_t, 0, UINTPTR_MAX)                                                                            \
    X(size_t, size_t, 0, SIZE_MAX)                                                                                     \
    X(ptrdiff_t, ptrdiff_t, 1, PTRDIFF_MAX)

/* Unpacked twice, over two patterns: a value that happens to look like one of them is still seen. The bytes are
 * compared, for a bool that holds a pattern must not be read. */
#define DEFINE(name, type, is_signed, max)                                                                             \
    static spork_args pack_##name(values_number n)                                                                     \
    {                                                                                                                  \
        type value = (type)(n.negative ? (uint64_t)0 - n.magnitude : n.magnitude);                                     \
        return spork_pack(value);                                                                                      \
    }                                                                                                                  \
    static values_stored unpack_##name(const spork_args *args)                                                         \
    {                                                                                                                  \
        values_stored stored = {SPORK_OK, {false, 0}, false};                                                          \
        for (int round = 0; round < 2; round++) {                                                                      \
            type room[3];                                                                                              \
            unsigned char before[sizeof room];                                                                         \
            memset(room, round == 0 ? 0xA5 : 0x5A, sizeof room);                                                       \
            memcpy(before, room, sizeof room);                                                                         \
            stored.status = spork_unpack(args, &room[1]);                                                              \
            size_t end = stored.status == SPORK_OK ? sizeof room[0] : sizeof room;                                     \
            if (memcmp(room, before, end) != 0 || memcmp(&room[2], before, sizeof room[2]) != 0)                       \
                stored.touched = true;                                                                                 \
            if (stored.status == SPORK_OK) stored.value = number(is_signed, (int64_t)room[1], (uint64_t)room[1]);      \
        }                                                                                                              \
        return stored;                                                                                                 \
    }
INTEGERS(DEFINE)

#define ROW(name, type, is_signed, max)                                                                                \
    {#name, {is_signed, is_signed ? (uint64_t)(max) + 1 : 0}, {false, (uint64_t)(max)}, pack_##name, unpack_##name},

const values_integer *values_integers(size_t *count)
{
    static const values_integer integers[] = {INTEGERS(ROW)};
    *count = sizeof integers / sizeof integers[0];
    return integers;
}

spork_args values_pack_colour(values_colour colour) { return spork_pack(colour); }
spork_args values_pack_level(values_level level) { return spork_pack(level); }
spork_status values_unpack_colour(const spork_args *args, values_colour *colour) { return spork_unpack(args, colour); }
spork_status values_unpack_level(const spork_args *args, values_level *level) { return spork_unpack(args, level); }

/* ---- floating point ---------------------------------------------------------------------------------------------- */

spork_args values_pack_double(double x) { return spork_pack(x); }
spork_args values_pack_float(float x) { return spork_pack(x); }
spork_status values_unpack_double(const spork_args *args, double *x) { return spork_unpack(args, x); }
spork_status values_unpack_float(const spork_args *args, float *x) { return spork_unpack(args, x); }

/* ---- texts, bytes, structs, arrays, pointers --------------------------------------------------------------------- */

spork_args values_pack_text(const char *text) { return spork_pack(text); }
spork_args values_pack_writable_text(char *text) { return spork_pack(text); }
spork_status values_unpack_text(const spork_args *args, const char **text) { return spork_unpack(args, text); }
spork_status values_unpack_text_into(const spork_args *args, char *buffer, size_t size)
{
    return spork_unpack(args, spork_text_into(buffer, size));
}

spork_args values_pack_bytes(const void *data, size_t size) { return spork_pack(spork_bytes_of(data, size)); }
spork_status values_unpack_bytes(const spork_args *args, spork_bytes *bytes) { return spork_unpack(args, bytes); }

spork_args values_pack_settings(const values_settings *settings) { return spork_pack(spork_struct(settings)); }
spork_status values_unpack_settings(const spork_args *args, values_settings *settings)
{
    return spork_unpack(args, spork_struct_into(settings));
}
spork_status values_unpack_point(const spork_args *args, values_point *point)
{
    return spork_unpack(args, spork_struct_into(point));
}

spork_args values_pack_points(const values_point *points, size_t count)
{
    return spork_pack(spork_array(points, count));
}
spork_args values_pack_shorts(const short *shorts, size_t count) { return spork_pack(spork_array(shorts, count)); }
spork_args values_pack_chars(const char *chars, size_t count) { return spork_pack(spork_array(chars, count)); }
spork_status values_unpack_points(const spork_args *args, const values_point **points, size_t *count)
{
    return spork_unpack(args, spork_array_into(points, count));
}
spork_status values_unpack_shorts(const spork_args *args, const short **shorts, size_t *count)
{
    return spork_unpack(args, spork_array_into(shorts, count));
}
spork_status values_unpack_chars(const spork_args *args, const char **chars, size_t *count)
{
    return spork_unpack(args, spork_array_into(chars, count));
}

spork_args values_pack_pointer(void *pointer) { return spork_pack(spork_pointer(pointer)); }
spork_status values_unpack_pointer(const spork_args *args, void **pointer)
{
    return spork_unpack(args, spork_pointer_into(pointer));
}

/* ---- how people write it ----------------------------------------------------------------------------------------- */

values_resize values_resize_example(const values_settings *settings)
{
    values_resize got = {SPORK_INTERNAL, NULL, 0, {0, 0, ""}};
    spork_args args = spork_pack("photo.png", 640, spork_struct(settings));
    got.status = spork_unpack(&args, &got.file, &got.width, spork_struct_into(&got.settings));
    return got;
}

spork_args values_pack_literals(void)
{
    return spork_pack(-1, 'x', 2u, -3L, 4UL, -5LL, 6ULL, 1.5f, 0.1, true, false, "text", "", VALUES_BLUE);
}

values_literals values_unpack_literals(const spork_args *args)
{
    values_literals v;
    memset(&v, 0, sizeof v);
    v.status = spork_unpack(args, &v.i, &v.c, &v.u, &v.l, &v.ul, &v.ll, &v.ull, &v.f, &v.d, &v.yes, &v.no, &v.text,
                            &v.empty, &v.colour);
    return v;
}

values_qualified values_qualify(char parameter[16])
{
    static char array[] = "array";
    static const char constant_array[8] = "const";
    static const char *const constant_pointer = "const pointer";
    static int volatile elements[2] = {6, 7};
    const int constant = 1;
    volatile int changing = 2;
    const volatile int both = 3;
    register int fast = 4;
    const struct {
        int member;
    } s = {5};
    const double constant_double = 0.25;
    const bool constant_bool = true;
    signed char summand = 100; /* the sum is an int: it is promoted, and fits */

    values_qualified v;
    memset(&v, 0, sizeof v);
    spork_args args = spork_pack(constant, changing, both, fast, s.member, summand + summand, elements[1], array,
                                 constant_array, parameter, constant_pointer, constant_double, constant_bool);
    v.status = spork_unpack(&args, &v.constant, &v.changing, &v.both, &v.fast, &v.member, &v.sum, &v.element, &v.array,
                            &v.constant_array, &v.parameter, &v.constant_pointer, &v.constant_double, &v.constant_bool);
    return v;
}

spork_status values_sixteen(int64_t numbers[16])
{
    static const int32_t table[3] = {10, 20, 12};
    static const values_point point = {13, 0};
    const spork_args args = spork_pack((signed char)-1, (unsigned char)2, (short)-3, (unsigned short)4, -5, 6u, -7L,
                                       8UL, -9LL, 10ULL, 11.0, spork_array(table, 3), spork_struct(&point), "14",
                                       spork_bytes_of("fifteen", 7), true);
    signed char a;
    unsigned char b;
    short c;
    unsigned short d;
    int e;
    unsigned f;
    long g;
    unsigned long h;
    long long i;
    unsigned long long j;
    double k;
    const int32_t *l;
    size_t l_count;
    values_point m;
    const char *n;
    spork_bytes o;
    bool p;
    spork_status status = spork_unpack(&args, &a, &b, &c, &d, &e, &f, &g, &h, &i, &j, &k,
                                       spork_array_into(&l, &l_count), spork_struct_into(&m), &n, &o, &p);
    if (status != SPORK_OK) return status;
    const int64_t got[16] = {a, b, c, d, e, f, g, (int64_t)h, i, (int64_t)j, (int64_t)k, l[l_count - 1], (int64_t)m.x,
                             (n[0] - '0') * 10 + n[1] - '0', (int64_t)o.size, p};
    memcpy(numbers, got, sizeof got);
    return status;
}

values_job values_make_job(int id, int from, int to)
{
    values_job job = {.id = id, .args = spork_pack(from, to)};
    return job;
}

spork_status values_run_job(const values_job *job, int *from, int *to) { return spork_unpack(&job->args, from, to); }

spork_status values_run_job_at_once(int from, int to, int *got_from, int *got_to)
{
    return values_run_job(&(values_job){.id = 1, .args = spork_pack(from, to)}, got_from, got_to);
}

static int count_and_give(int *calls, int value)
{
    ++*calls;
    return value;
}

static int *count_and_show(int *calls, int *variable)
{
    ++*calls;
    return variable;
}

void values_evaluate(int packed[3], int unpacked[3])
{
    int a, b, c;
    spork_args args =
        spork_pack(count_and_give(&packed[0], 1), count_and_give(&packed[1], 2), count_and_give(&packed[2], 3));
    SPORK_MUST(spork_unpack(&args, count_and_show(&unpacked[0], &a), count_and_show(&unpacked[1], &b),
                            count_and_show(&unpacked[2], &c)));
}

spork_args values_pack_none(void) { return SPORK_NO_ARGS; }
spork_args values_pack_three_ints(int a, int b, int c) { return spork_pack(a, b, c); }
spork_status values_unpack_one_int(const spork_args *args, int *a) { return spork_unpack(args, a); }
spork_status values_unpack_three_ints(const spork_args *args, int *a, int *b, int *c)
{
    return spork_unpack(args, a, b, c);
}
spork_status values_unpack_into_null(const spork_args *args) { return spork_unpack(args, (int *)NULL); }
spork_status values_keep_a_number(void) { return spork_keep(7); }

/* ---- types that do not meet -------------------------------------------------------------------------------------- */

static const int32_t three[3] = {1, 2, 3};
static const values_settings some_settings = {90, 0.5, "best"};
static int pointed_at;

spork_args values_pack_one(values_packed packed)
{
    switch (packed) {
    case VALUES_PACKED_INTEGER: return spork_pack(1);
    case VALUES_PACKED_FLOAT: return spork_pack(0.5);
    case VALUES_PACKED_TEXT: return spork_pack("photo");
    case VALUES_PACKED_BYTES: return spork_pack(spork_bytes_of(three, sizeof three));
    case VALUES_PACKED_STRUCT: return spork_pack(spork_struct(&some_settings));
    case VALUES_PACKED_ARRAY: return spork_pack(spork_array(three, 3));
    case VALUES_PACKED_POINTER: return spork_pack(spork_pointer(&pointed_at));
    case VALUES_PACKED_COUNT: break;
    }
    return SPORK_NO_ARGS;
}

struct targets {
    int i;
    bool b;
    double d;
    float f;
    const char *text;
    char buffer[8];
    spork_bytes bytes;
    values_settings settings;
    const int32_t *array;
    size_t count;
    int *pointer;
    unsigned char last;
};

static spork_status unpack_one(const spork_args *args, values_target target, struct targets *t)
{
    switch (target) {
    case VALUES_INTO_INT: return spork_unpack(args, &t->i);
    case VALUES_INTO_BOOL: return spork_unpack(args, &t->b);
    case VALUES_INTO_DOUBLE: return spork_unpack(args, &t->d);
    case VALUES_INTO_FLOAT: return spork_unpack(args, &t->f);
    case VALUES_INTO_TEXT: return spork_unpack(args, &t->text);
    case VALUES_INTO_TEXT_BUFFER: return spork_unpack(args, spork_text_into(t->buffer, sizeof t->buffer));
    case VALUES_INTO_BYTES: return spork_unpack(args, &t->bytes);
    case VALUES_INTO_STRUCT: return spork_unpack(args, spork_struct_into(&t->settings));
    case VALUES_INTO_ARRAY: return spork_unpack(args, spork_array_into(&t->array, &t->count));
    case VALUES_INTO_POINTER: return spork_unpack(args, spork_pointer_into(&t->pointer));
    case VALUES_INTO_COUNT: break;
    }
    return SPORK_INTERNAL;
}

static spork_status unpack_all(const spork_args *args, struct targets *t)
{
    return spork_unpack(args, &t->i, &t->b, &t->d, &t->f, &t->text, spork_text_into(t->buffer, sizeof t->buffer),
                        &t->bytes, spork_struct_into(&t->settings), spork_array_into(&t->array, &t->count),
                        spork_pointer_into(&t->pointer), &t->last);
}

/* target < 0: all of them */
static values_stored unpack_over_pattern(const spork_args *args, int target)
{
    values_stored stored = {SPORK_OK, {false, 0}, false};
    for (int round = 0; round < 2; round++) {
        struct targets t;
        unsigned char before[sizeof t];
        memset(&t, round == 0 ? 0xA5 : 0x5A, sizeof t);
        memcpy(before, &t, sizeof t);
        stored.status = target < 0 ? unpack_all(args, &t) : unpack_one(args, (values_target)target, &t);
        if (stored.status != SPORK_OK && memcmp(&t, before, sizeof t) != 0) stored.touched = true;
    }
    return stored;
}

values_stored values_unpack_one(const spork_args *args, values_target target)
{
    return unpack_over_pattern(args, (int)target);
}

spork_args values_pack_all(const char *text, unsigned last)
{
    return spork_pack(1, true, 0.1, 0.5f, "photo", text, spork_bytes_of(three, sizeof three),
                      spork_struct(&some_settings), spork_array(three, 3), spork_pointer(&pointed_at), last);
}

values_stored values_unpack_all(const spork_args *args) { return unpack_over_pattern(args, -1); }
