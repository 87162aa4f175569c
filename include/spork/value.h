/**
 * @file value.h
 * Values: what travels to another process or thread. `spork_pack(...)` on one side, `spork_unpack(...)` on the other.
 *
 *     spork_process_new(resize, spork_pack("photo.png", 640, spork_struct(&settings)));
 *
 *     static int resize(const spork_args *args)
 *     {
 *         const char *file; int width; struct settings settings;
 *         if (spork_unpack(args, &file, &width, spork_struct_into(&settings)) != SPORK_OK) return 1;
 *
 * | packed                                | unpacked by                                                              |
 * |---------------------------------------|--------------------------------------------------------------------------|
 * | any integer, bool, char, enum         | the address of any integer, bool or enum variable that can hold the value |
 * | float, double                         | double *, float * (if exactly that value fits)                            |
 * | char *, const char * (not NULL)       | const char ** (points into the args); spork_text_into(buffer, size)       |
 * | spork_bytes                           | spork_bytes * (points into the args)                                      |
 * | spork_struct(&s): by value, no pointers inside | spork_struct_into(&s)                                            |
 * | spork_array(p, n)                     | spork_array_into(&p, &n): points into the args, aligned to 16             |
 * | spork_pointer(p): threads only        | spork_pointer_into(&p)                                                    |
 * | a Spork object                        | the address of a pointer to such an object                                |
 *
 * A wrong type, a missing or surplus argument, or a value that does not fit is SPORK_INVALID with a sentence that names the
 * argument, and no variable is touched: there is no silent conversion.
 *
 * Ownership: what a pack borrows (strings, arrays, objects) must live until the call that takes the pack returns; for a
 * process the plain values are copied by `new`, objects must live until `start` returns. In C a pack lives until the end of the
 * block, in C++ until the end of the full expression; stored in a variable it can be passed on in both, as long as what it
 * borrows lives. What arrives belongs to the received args: a target's live as long as the process.
 *
 * Limits: 16 values in a pack (an array counts as one); 2^48 bytes in all, 2^32 where pointers have 32 bits.
 */
#ifndef SPORK_VALUE_H
#define SPORK_VALUE_H

#include <limits.h>

#include "base.h"

/** How many values a pack holds. */
#define SPORK_MAX_VALUES 16

/** A run of bytes with its length. Borrowed, like everything in a pack. */
typedef struct spork_bytes {
    const void *data; /**< may be NULL if there are none */
    size_t size;      /**< how many */
} spork_bytes;

/** One packed value. Made by spork_pack; its inside is not API. */
typedef struct spork_item {
    /** @cond */
    uint16_t kind, flags;
    uint32_t unit;
    union {
        int64_t i;
        uint64_t u;
        double f;
        const void *p;
    } as;
    uint64_t count;
    /** @endcond */
} spork_item;

/** Where one value goes. Made by spork_unpack; its inside is not API. */
typedef struct spork_slot {
    /** @cond */
    uint32_t kind, unit;
    void *to;
    size_t *count;
    /** @endcond */
} spork_slot;

/** Up to 16 values. A struct by value: it can be stored, returned and put into options alike in C and C++. */
typedef struct spork_args {
    uint32_t count;  /**< how many values there are */
    uint32_t origin; /**< 0: packed here; else the mark of the library that received them */
    spork_item items[SPORK_MAX_VALUES]; /**< those values */
} spork_args;

/** @def SPORK_NO_ARGS
 * A pack without values. */
#ifdef __cplusplus
#define SPORK_NO_ARGS (spork_args{})
#else
#define SPORK_NO_ARGS ((spork_args){0, 0, {{0, 0, 0, {0}, 0}}})
#endif

/* Kinds of items. 16 and above are Spork's objects; 1 to 15 are fixed in the encoding (src/value.c describes it). */
enum {
    SPORK__KIND_NONE = 0,
    SPORK__KIND_INT = 1,
    SPORK__KIND_UINT = 2,
    SPORK__KIND_FLOAT = 3,
    SPORK__KIND_TEXT = 4,
    SPORK__KIND_BYTES = 5,
    SPORK__KIND_STRUCT = 6,
    SPORK__KIND_ARRAY = 7,
    SPORK__KIND_TEXT_INTO = 8, /* a slot only */
    SPORK__KIND_POINTER = 9,
    SPORK__KIND_BOOL = 10,  /* a slot only: takes 0 and 1 */
    SPORK__KIND_OBJECT = 16, /* the first object */
    SPORK__KIND_CONNECTION = 16,
    SPORK__KIND_QUEUE = 17,
    SPORK__KIND_LOCK = 18,
    SPORK__KIND_RLOCK = 19,
    SPORK__KIND_SEMAPHORE = 20,
    SPORK__KIND_EVENT = 21,
    SPORK__KIND_CONDITION = 22,
    SPORK__KIND_BARRIER = 23,
    SPORK__KIND_SHM = 24,
    SPORK__KIND_HANDLE = 25
};
enum { SPORK__FLAG_MOVE = 1, SPORK__FLAG_PUT_ONLY = 2, SPORK__FLAG_GET_ONLY = 4 };

/* The standard integer types, each once: size_t, int64_t and their kin are among them on every system.
 * X(suffix, type, kind) */
#define SPORK__INTS(X)                                                                                                 \
    X(i8, signed char, SPORK__KIND_INT)                                                                                \
    X(u8, unsigned char, SPORK__KIND_UINT)                                                                             \
    X(i16, short, SPORK__KIND_INT)                                                                                     \
    X(u16, unsigned short, SPORK__KIND_UINT)                                                                           \
    X(i32, int, SPORK__KIND_INT)                                                                                       \
    X(u32, unsigned, SPORK__KIND_UINT)                                                                                 \
    X(il, long, SPORK__KIND_INT)                                                                                       \
    X(ul, unsigned long, SPORK__KIND_UINT)                                                                             \
    X(ill, long long, SPORK__KIND_INT)                                                                                 \
    X(ull, unsigned long long, SPORK__KIND_UINT)                                                                       \
    X(b, bool, SPORK__KIND_BOOL)                                                                                       \
    X(c, char, CHAR_MIN < 0 ? SPORK__KIND_INT : SPORK__KIND_UINT)

/* The kinds of objects that can be packed: X(name, kind). Each concept that adds one adds its line here. */
#define SPORK__OBJECTS(X)                                                                                              \
    X(connection, SPORK__KIND_CONNECTION)                                                                              \
    X(queue, SPORK__KIND_QUEUE)                                                                                        \
    X(lock, SPORK__KIND_LOCK)                                                                                          \
    X(rlock, SPORK__KIND_RLOCK)                                                                                        \
    X(semaphore, SPORK__KIND_SEMAPHORE)                                                                                \
    X(event, SPORK__KIND_EVENT)                                                                                        \
    X(condition, SPORK__KIND_CONDITION)                                                                                \
    X(barrier, SPORK__KIND_BARRIER)                                                                                    \
    X(shm, SPORK__KIND_SHM)                                                                                            \
    X(handle, SPORK__KIND_HANDLE)

#ifdef __cplusplus
extern "C" {
#endif

static inline spork_item spork__item(int kind, const void *p, size_t unit, uint64_t count)
{
    spork_item item;
    item.kind = (uint16_t)kind;
    item.flags = 0;
    item.unit = unit > UINT32_MAX ? 0 : (uint32_t)unit; /* 0 is refused: no element is 4 GiB */
    item.as.u = 0;
    item.as.p = p;
    item.count = count;
    return item;
}
static inline spork_slot spork__slot(int kind, void *to, size_t unit, size_t *count)
{
    spork_slot slot;
    slot.kind = (uint32_t)kind;
    slot.unit = unit > UINT32_MAX ? 0 : (uint32_t)unit;
    slot.to = to;
    slot.count = count;
    return slot;
}
static inline spork_item spork__as_int(int64_t x)
{
    spork_item item = spork__item(SPORK__KIND_INT, NULL, 0, 1);
    item.as.i = x;
    return item;
}
static inline spork_item spork__as_uint(uint64_t x)
{
    spork_item item = spork__item(SPORK__KIND_UINT, NULL, 0, 1);
    item.as.u = x;
    return item;
}
static inline spork_item spork__as_f(double x)
{
    spork_item item = spork__item(SPORK__KIND_FLOAT, NULL, 0, 1);
    item.as.f = x;
    return item;
}
static inline spork_item spork__as_text(const char *x) { return spork__item(SPORK__KIND_TEXT, x, 1, 0); }
static inline spork_item spork__as_bytes(spork_bytes x) { return spork__item(SPORK__KIND_BYTES, x.data, 1, x.size); }
static inline spork_item spork__as_item(spork_item x) { return x; }
static inline spork_slot spork__to_f64(double *p) { return spork__slot(SPORK__KIND_FLOAT, p, sizeof *p, NULL); }
static inline spork_slot spork__to_f32(float *p) { return spork__slot(SPORK__KIND_FLOAT, p, sizeof *p, NULL); }
static inline spork_slot spork__to_text(const char **p) { return spork__slot(SPORK__KIND_TEXT, p, 0, NULL); }
static inline spork_slot spork__to_bytes(spork_bytes *p) { return spork__slot(SPORK__KIND_BYTES, p, 0, NULL); }
static inline spork_slot spork__to_slot(spork_slot s) { return s; }
static inline spork_item spork__flag(spork_item item, int flag)
{
    item.flags = (uint16_t)(item.flags | flag);
    return item;
}

#define SPORK__DEFINE_INT(suffix, type, kind)                                                                          \
    static inline spork_item spork__as_##suffix(type x)                                                                \
    {                                                                                                                  \
        return (kind) == SPORK__KIND_INT ? spork__as_int((int64_t)x) : spork__as_uint((uint64_t)x);                    \
    }                                                                                                                  \
    static inline spork_slot spork__to_##suffix(type *p) { return spork__slot((kind), p, sizeof *p, NULL); }
#define SPORK__DEFINE_OBJECT(name, kind)                                                                               \
    typedef struct spork_##name spork_##name;                                                                          \
    static inline spork_item spork__as_##name(spork_##name *p) { return spork__item((kind), p, 0, 1); }                \
    static inline spork_slot spork__to_##name(spork_##name **p) { return spork__slot((kind), p, 0, NULL); }
SPORK__INTS(SPORK__DEFINE_INT)
SPORK__OBJECTS(SPORK__DEFINE_OBJECT)
#undef SPORK__DEFINE_INT
#undef SPORK__DEFINE_OBJECT

/** Bytes to pack: `spork_pack(spork_bytes_of(data, size))`. */
static inline spork_bytes spork_bytes_of(const void *data, size_t size)
{
    spork_bytes b;
    b.data = data;
    b.size = size;
    return b;
}

/** Pack: the struct (or any object) that `p` points to, by value. Pointers inside it mean nothing to the receiver. */
#define spork_struct(p) spork__item(SPORK__KIND_STRUCT, (p), sizeof *(p), 1)
/** Unpack: copies a struct; one of another size is SPORK_INVALID. */
#define spork_struct_into(p) spork__slot(SPORK__KIND_STRUCT, (p), sizeof *(p), NULL)
/** Pack: `n` elements from `p` on. NULL is fine for n = 0. */
#define spork_array(p, n) spork__item(SPORK__KIND_ARRAY, (p), sizeof *(p), (n))
/** Unpack: `*pp` (a `const T *`) points into the args, aligned to 16; `*pn` (a `size_t`) is the number of elements. */
#define spork_array_into(pp, pn) spork__slot(SPORK__KIND_ARRAY, (pp), sizeof **(pp), (pn))
/** Unpack: copies a string into a buffer of `size` bytes; too long is SPORK_TOO_SMALL. */
#define spork_text_into(buffer, size) spork__slot(SPORK__KIND_TEXT_INTO, (buffer), (size), NULL)
/** Pack: a plain pointer, for threads only; on the way to another process SPORK_INVALID. */
#define spork_pointer(p) spork__item(SPORK__KIND_POINTER, (p), 0, 1)
/** Unpack: `*pp` becomes that pointer. */
#define spork_pointer_into(pp) spork__slot(SPORK__KIND_POINTER, (pp), 0, NULL)
/** Pack: the receiver gets the object, and ours is closed once the call that took the pack succeeded. Not one that came in a message or
 *  as an argument, unless spork_keep has made it yours; and only once in a pack: SPORK_INVALID. */
#define spork_move(object) spork__flag(spork__as(object), SPORK__FLAG_MOVE)
/** Makes an unpacked object yours: it outlives its args, and you free it. SPORK_INVALID: not an unpacked object. */
#define spork_keep(object) spork__keep(spork__as(object))

/** What spork_unpack calls. */
SPORK_API spork_status spork__unpack(const spork_args *args, size_t count, const spork_slot *slots);
/** What spork_keep calls. */
SPORK_API spork_status spork__keep(spork_item object);

/** Frees args that were received (spork_connection_recv …), and the objects in them that were not kept. NULL is fine. */
SPORK_API void spork_args_free(spork_args *received);

#ifdef __cplusplus
}
#endif

#ifndef __cplusplus

/* What cannot be packed meets a function whose parameter type is the explanation: the compiler prints it. */
struct spork__a_NULL_or_void_pointer_cannot_be_packed__cast_it_or_use_spork_pointer {
    char unused;
};
struct spork__this_type_cannot_be_packed__see_the_table_in_spork_value_h {
    char unused;
};
struct spork__this_type_cannot_be_unpacked_into__see_the_table_in_spork_value_h {
    char unused;
};
static inline spork_item
spork__as_void(struct spork__a_NULL_or_void_pointer_cannot_be_packed__cast_it_or_use_spork_pointer x)
{
    (void)x;
    return spork__item(SPORK__KIND_NONE, NULL, 0, 0);
}
static inline spork_item spork__as_other(struct spork__this_type_cannot_be_packed__see_the_table_in_spork_value_h x)
{
    (void)x;
    return spork__item(SPORK__KIND_NONE, NULL, 0, 0);
}
static inline spork_slot
spork__to_other(struct spork__this_type_cannot_be_unpacked_into__see_the_table_in_spork_value_h x)
{
    (void)x;
    return spork__slot(SPORK__KIND_NONE, NULL, 0, NULL);
}

#define SPORK__AS_INT(suffix, type, kind)                                                                              \
    type:                                                                                                              \
    spork__as_##suffix,
#define SPORK__AS_OBJECT(name, kind) spork_##name * : spork__as_##name,
#define SPORK__TO_INT(suffix, type, kind) type * : spork__to_##suffix,
#define SPORK__TO_OBJECT(name, kind) spork_##name ** : spork__to_##name,

/* clang-format off */
#define spork__as(x)                                                                                                   \
    _Generic((x), SPORK__INTS(SPORK__AS_INT) SPORK__OBJECTS(SPORK__AS_OBJECT)                                          \
        float: spork__as_f, double: spork__as_f,                                                                       \
        char *: spork__as_text, const char *: spork__as_text,                                                          \
        spork_bytes: spork__as_bytes, spork_item: spork__as_item,                                                      \
        void *: spork__as_void, const void *: spork__as_void, default: spork__as_other)(x)
#define spork__to(x)                                                                                                   \
    _Generic((x), SPORK__INTS(SPORK__TO_INT) SPORK__OBJECTS(SPORK__TO_OBJECT)                                          \
        float *: spork__to_f32, double *: spork__to_f64, const char **: spork__to_text,                                \
        spork_bytes *: spork__to_bytes, spork_slot: spork__to_slot, default: spork__to_other)(x)

/* Counts 1 to 64 arguments; more than 16 do not compile: the array below gets a negative size. */
#define SPORK__N(...)                                                                                                  \
    SPORK__N_(__VA_ARGS__,                                                                                             \
              64, 63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40,      \
              39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15,      \
              14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define SPORK__N_(a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20,       \
                  a21, a22, a23, a24, a25, a26, a27, a28, a29, a30, a31, a32, a33, a34, a35, a36, a37, a38, a39,       \
                  a40, a41, a42, a43, a44, a45, a46, a47, a48, a49, a50, a51, a52, a53, a54, a55, a56, a57, a58,       \
                  a59, a60, a61, a62, a63, N, ...)                                                                     \
    sizeof(char[(N) <= SPORK_MAX_VALUES ? (N) : -1])
#define SPORK__16(M, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ...)                                              \
    M(a), M(b), M(c), M(d), M(e), M(f), M(g), M(h), M(i), M(j), M(k), M(l), M(m), M(n), M(o), M(p)
#define SPORK__PAD(M, z, ...) SPORK__16(M, __VA_ARGS__, z, z, z, z, z, z, z, z, z, z, z, z, z, z, z, z)
#define SPORK__NO_ITEM spork__item(SPORK__KIND_NONE, NULL, 0, 0)
#define SPORK__NO_SLOT spork__slot(SPORK__KIND_NONE, NULL, 0, NULL)
#define SPORK__SLOTS(...) SPORK__N(__VA_ARGS__), (spork_slot[]){ SPORK__PAD(spork__to, SPORK__NO_SLOT, __VA_ARGS__) }

/** Packs 1 to 16 values; SPORK_NO_ARGS packs none. */
#define spork_pack(...) ((spork_args){ SPORK__N(__VA_ARGS__), 0, { SPORK__PAD(spork__as, SPORK__NO_ITEM, __VA_ARGS__) } })
/**
 * Stores all values of `args` into the variables whose addresses follow.
 * @return SPORK_OK; SPORK_INVALID or SPORK_TOO_SMALL with a sentence that names the argument: then no variable changed.
 */
#define spork_unpack(args, ...) spork__unpack((args), SPORK__SLOTS(__VA_ARGS__))
/* clang-format on */

#else /* C++17: the same words as overloads */

#include <type_traits>

inline spork_slot spork__to(double *p) { return spork__to_f64(p); }
inline spork_slot spork__to(float *p) { return spork__to_f32(p); }
inline spork_slot spork__to(const char **p) { return spork__to_text(p); }
inline spork_slot spork__to(spork_bytes *p) { return spork__to_bytes(p); }
inline spork_slot spork__to(spork_slot s) { return s; }
#define SPORK__OVERLOAD_OBJECT(name, kind)                                                                             \
    inline spork_item spork__as_object(spork_##name *p) { return spork__as_##name(p); }                                \
    inline spork_slot spork__to(spork_##name **p) { return spork__to_##name(p); }
SPORK__OBJECTS(SPORK__OVERLOAD_OBJECT)
#undef SPORK__OVERLOAD_OBJECT
template <class T> std::enable_if_t<std::is_integral_v<T> || std::is_enum_v<T>, spork_slot> spork__to(T *p)
{
    if constexpr (std::is_enum_v<T>) {
        constexpr bool is_signed = std::is_signed_v<std::underlying_type_t<T>>;
        return spork__slot(is_signed ? SPORK__KIND_INT : SPORK__KIND_UINT, p, sizeof *p, nullptr);
    } else {
        constexpr int kind = std::is_same_v<T, bool> ? SPORK__KIND_BOOL
                             : std::is_signed_v<T>   ? SPORK__KIND_INT
                                                     : SPORK__KIND_UINT;
        return spork__slot(kind, p, sizeof *p, nullptr);
    }
}
template <class T> spork_item spork__as(T x)
{
    static_assert(!std::is_same_v<T, std::nullptr_t> && !std::is_same_v<T, void *> && !std::is_same_v<T, const void *>,
                  "a NULL or void pointer cannot be packed: cast it, or use spork_pointer");
    if constexpr (std::is_same_v<T, spork_item>) {
        return x;
    } else if constexpr (std::is_same_v<T, spork_bytes>) {
        return spork__as_bytes(x);
    } else if constexpr (std::is_enum_v<T>) {
        return spork__as(static_cast<std::underlying_type_t<T>>(x));
    } else if constexpr (std::is_integral_v<T>) {
        if constexpr (std::is_signed_v<T>)
            return spork__as_int(static_cast<int64_t>(x));
        else
            return spork__as_uint(static_cast<uint64_t>(x));
    } else if constexpr (std::is_floating_point_v<T>) {
        static_assert(!std::is_same_v<T, long double>, "a long double cannot be packed: it would lose digits");
        return spork__as_f(static_cast<double>(x));
    } else if constexpr (std::is_convertible_v<T, const char *>) {
        return spork__as_text(x);
    } else {
        return spork__as_object(x);
    }
}
template <class... T> spork_args spork_pack(T... values)
{
    static_assert(sizeof...(T) >= 1 && sizeof...(T) <= SPORK_MAX_VALUES, "1 to 16 values; SPORK_NO_ARGS packs none");
    return spork_args{static_cast<uint32_t>(sizeof...(T)), 0, {spork__as(values)...}};
}
template <class... T> spork_status spork_unpack(const spork_args *args, T... to)
{
    const spork_slot slots[] = {spork__to(to)...};
    return spork__unpack(args, sizeof...(T), slots);
}

#endif
#endif
