/* Values seen from C: spork_pack and spork_unpack are _Generic there and overloads in C++, so each side needs its own
 * user. These are plain scenarios; what they must give is asserted in value_test.cpp. */
#ifndef SPORK_HARNESS_VALUES_H
#define SPORK_HARNESS_VALUES_H

#include <spork/spork.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- integers: each type packs, each type unpacks ---------------------------------------------------------------- */

/* A whole number of either sign that any integer type can be compared with. */
typedef struct values_number {
    bool negative;
    uint64_t magnitude;
} values_number;

/* What an unpacking left behind. */
typedef struct values_stored {
    spork_status status;
    values_number value; /* if SPORK_OK */
    bool touched; /* the variable changed although it failed, or something beside the variable changed */
} values_stored;

typedef struct values_integer {
    const char *name;
    values_number min, max;
    spork_args (*pack)(values_number value);
    values_stored (*unpack)(const spork_args *args);
} values_integer;

/* All standard integer types, bool, char, and the names of <stdint.h> and <stddef.h>. */
const values_integer *values_integers(size_t *count);

typedef enum values_colour { VALUES_RED = 1, VALUES_GREEN = 2, VALUES_BLUE = 700 } values_colour;
typedef enum values_level { VALUES_LOW = -5, VALUES_HIGH = 5 } values_level; /* a negative one makes it signed */

spork_args values_pack_colour(values_colour colour);
spork_args values_pack_level(values_level level);
spork_status values_unpack_colour(const spork_args *args, values_colour *colour);
spork_status values_unpack_level(const spork_args *args, values_level *level);

/* ---- floating point ---------------------------------------------------------------------------------------------- */

spork_args values_pack_double(double x);
spork_args values_pack_float(float x);
spork_status values_unpack_double(const spork_args *args, double *x);
spork_status values_unpack_float(const spork_args *args, float *x);

/* ---- texts, bytes, structs, arrays, pointers --------------------------------------------------------------------- */

typedef struct values_settings {
    int32_t quality;
    double scale;
    char name[12];
} values_settings;

typedef struct values_point {
    float x, y;
} values_point;

spork_args values_pack_text(const char *text);
spork_args values_pack_writable_text(char *text);
spork_status values_unpack_text(const spork_args *args, const char **text);
spork_status values_unpack_text_into(const spork_args *args, char *buffer, size_t size);

spork_args values_pack_bytes(const void *data, size_t size);
spork_status values_unpack_bytes(const spork_args *args, spork_bytes *bytes);

spork_args values_pack_settings(const values_settings *settings);
spork_status values_unpack_settings(const spork_args *args, values_settings *settings);
spork_status values_unpack_point(const spork_args *args, values_point *point);

spork_args values_pack_points(const values_point *points, size_t count);
spork_args values_pack_shorts(const short *shorts, size_t count);
spork_args values_pack_chars(const char *chars, size_t count);
spork_status values_unpack_points(const spork_args *args, const values_point **points, size_t *count);
spork_status values_unpack_shorts(const spork_args *args, const short **shorts, size_t *count);
spork_status values_unpack_chars(const spork_args *args, const char **chars, size_t *count);

spork_args values_pack_pointer(void *pointer);
spork_status values_unpack_pointer(const spork_args *args, void **pointer);

/* ---- how people write it ----------------------------------------------------------------------------------------- */

/* The manual's own example, packed and unpacked in one function. */
typedef struct values_resize {
    spork_status status;
    const char *file;
    int width;
    values_settings settings;
} values_resize;
values_resize values_resize_example(const values_settings *settings);

/* Literals of every type C has; a pack of string literals may leave the function. */
spork_args values_pack_literals(void);
typedef struct values_literals {
    spork_status status;
    int i;
    char c;
    unsigned u;
    long l;
    unsigned long ul;
    long long ll;
    unsigned long long ull;
    float f;
    double d;
    bool yes, no;
    const char *text, *empty;
    values_colour colour;
} values_literals;
values_literals values_unpack_literals(const spork_args *args);

/* const, volatile and register variables, arrays, array parameters, results of functions, members, expressions. */
typedef struct values_qualified {
    spork_status status;
    int constant, changing, both, fast, member, sum, element;
    const char *array, *constant_array, *parameter, *constant_pointer;
    double constant_double;
    bool constant_bool;
} values_qualified;
values_qualified values_qualify(char parameter[16]);

/* Sixteen values of all sorts, the most a pack can hold. */
spork_status values_sixteen(int64_t numbers[16]);

/* A pack in a struct, as options and queues of jobs do it. */
typedef struct values_job {
    int id;
    spork_args args;
} values_job;
values_job values_make_job(int id, int from, int to);
spork_status values_run_job(const values_job *job, int *from, int *to);
/* The same in one expression: a compound literal in the call. */
spork_status values_run_job_at_once(int from, int to, int *got_from, int *got_to);

/* How often each argument of a pack and of an unpack was evaluated: once, whatever the macros do with it. */
void values_evaluate(int packed[3], int unpacked[3]);

spork_args values_pack_none(void);
spork_args values_pack_three_ints(int a, int b, int c);
spork_status values_unpack_one_int(const spork_args *args, int *a);
spork_status values_unpack_three_ints(const spork_args *args, int *a, int *b, int *c);
spork_status values_unpack_into_null(const spork_args *args);
spork_status values_keep_a_number(void);

/* ---- types that do not meet -------------------------------------------------------------------------------------- */

typedef enum values_packed {
    VALUES_PACKED_INTEGER,
    VALUES_PACKED_FLOAT,
    VALUES_PACKED_TEXT,
    VALUES_PACKED_BYTES,
    VALUES_PACKED_STRUCT,
    VALUES_PACKED_ARRAY,
    VALUES_PACKED_POINTER,
    VALUES_PACKED_COUNT
} values_packed;

typedef enum values_target {
    VALUES_INTO_INT,
    VALUES_INTO_BOOL,
    VALUES_INTO_DOUBLE,
    VALUES_INTO_FLOAT,
    VALUES_INTO_TEXT,
    VALUES_INTO_TEXT_BUFFER,
    VALUES_INTO_BYTES,
    VALUES_INTO_STRUCT,
    VALUES_INTO_ARRAY,
    VALUES_INTO_POINTER,
    VALUES_INTO_COUNT
} values_target;

/* One item of that type. Its integer is 1 and its float 0.5, so that only types can be in the way. */
spork_args values_pack_one(values_packed packed);
/* `touched`: any byte of any variable changed although it failed. */
values_stored values_unpack_one(const spork_args *args, values_target target);

enum { VALUES_ALL = 11 }; /* how many values the next two have */
/* One value for each target of values_unpack_all, in that order, and a last one that fits an unsigned char. */
spork_args values_pack_all(const char *text, unsigned last);
values_stored values_unpack_all(const spork_args *args);

#ifdef __cplusplus
}
#endif
#endif
