// Values: what spork_pack packs, spork_unpack stores, or refuses with a sentence. The C side of both is in
// harness/values.c.
#include <gtest/gtest.h>
#include <spork/spork.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <regex>
#include <string>
#include <vector>

#include "harness/harness.h"
#include "harness/values.h"
#include "value.h"

namespace {

bool same(values_number a, values_number b)
{
    return a.magnitude == b.magnitude && (a.negative == b.negative || a.magnitude == 0);
}

bool less(values_number a, values_number b)
{
    if (a.negative != b.negative) return a.negative;
    return a.negative ? a.magnitude > b.magnitude : a.magnitude < b.magnitude;
}

bool fits(values_number n, const values_integer &type) { return !less(n, type.min) && !less(type.max, n); }

std::string text(values_number n) { return (n.negative ? "-" : "") + std::to_string(n.magnitude); }

values_number above(values_number n)
{
    if (n.negative) return {n.magnitude > 1, n.magnitude - 1};
    return {false, n.magnitude == UINT64_MAX ? n.magnitude : n.magnitude + 1};
}

values_number below(values_number n)
{
    if (!n.negative && n.magnitude > 0) return {false, n.magnitude - 1};
    return {true, n.magnitude + 1};
}

std::vector<values_integer> integers()
{
    size_t count = 0;
    const values_integer *first = values_integers(&count);
    return {first, first + count};
}

bool seen(const std::vector<values_number> &numbers, values_number n)
{
    for (values_number other : numbers)
        if (same(n, other)) return true;
    return false;
}

// The extremes of every type, and what lies beside them: where truncation and sign changes happen.
std::vector<values_number> interesting_numbers()
{
    std::vector<values_number> numbers = {{true, 1}, {false, 0}, {false, 1}, {false, 2}, {false, 42}};
    for (const values_integer &type : integers())
        for (values_number n : {below(type.min), type.min, above(type.min), below(type.max), type.max, above(type.max)})
            if (!seen(numbers, n)) numbers.push_back(n);
    return numbers;
}

template <class T> bool same_bits(T a, T b) { return std::memcmp(&a, &b, sizeof a) == 0; }

bool sentence_has(const std::string &pattern) { return std::regex_search(spork_error(), std::regex(pattern)); }

// Every refusal goes through here: a status, kept for spork_last_status, and a sentence that names the argument.
#define EXPECT_REFUSED(expected, call, number)                                                                         \
    do {                                                                                                               \
        EXPECT_EQ(expected, call);                                                                                     \
        EXPECT_EQ(expected, spork_last_status());                                                                      \
        EXPECT_TRUE(sentence_has("argument " #number "\\b")) << spork_error();                                         \
    } while (0)

constexpr double infinity = std::numeric_limits<double>::infinity();

} // namespace

// ---- integers ------------------------------------------------------------------------------------------------------

TEST(Value, EveryIntegerTypeCarriesItsExtremesUnchanged)
{
    for (const values_integer &type : integers()) {
        SCOPED_TRACE(type.name);
        for (values_number n : {type.min, type.max, values_number{false, 0}, values_number{false, 1}}) {
            spork_args args = type.pack(n);
            values_stored got = type.unpack(&args);
            EXPECT_EQ(SPORK_OK, got.status) << spork_error();
            EXPECT_TRUE(same(n, got.value)) << text(n) << " became " << text(got.value);
            EXPECT_FALSE(got.touched) << "something beside the variable";
        }
    }
}

TEST(Value, AnIntegerGoesIntoEveryTypeThatCanHoldItAndIntoNoOther)
{
    const std::vector<values_integer> types = integers();
    for (const values_integer &from : types) {
        for (values_number n : interesting_numbers()) {
            if (!fits(n, from)) continue;
            spork_args args = from.pack(n);
            for (const values_integer &to : types) {
                values_stored got = to.unpack(&args);
                ASSERT_FALSE(got.touched) << from.name << " " << text(n) << " into " << to.name;
                if (fits(n, to)) {
                    ASSERT_EQ(SPORK_OK, got.status)
                        << from.name << " " << text(n) << " into " << to.name << ": " << spork_error();
                    ASSERT_TRUE(same(n, got.value))
                        << from.name << " " << text(n) << " became " << to.name << " " << text(got.value);
                } else {
                    ASSERT_EQ(SPORK_INVALID, got.status) << from.name << " " << text(n) << " into " << to.name;
                    ASSERT_NE(nullptr, std::strstr(spork_error(), "argument 1")) << spork_error();
                }
            }
        }
    }
}

TEST(Value, AnIntegerThatDoesNotFitIsRefusedAndNothingIsTouched)
{
    spork_args args = spork_pack(300);
    unsigned char small = 7;
    EXPECT_REFUSED(SPORK_INVALID, spork_unpack(&args, &small), 1);
    EXPECT_EQ(7, small);
    EXPECT_TRUE(sentence_has("\\b300\\b")) << "the value helps who reads it: " << spork_error();
}

TEST(Value, ANegativeIntegerIsNotAnUnsignedOne)
{
    spork_args args = spork_pack(-1);
    uint64_t wide = 7;
    size_t size = 7;
    unsigned u = 7;
    EXPECT_REFUSED(SPORK_INVALID, spork_unpack(&args, &wide), 1);
    EXPECT_REFUSED(SPORK_INVALID, spork_unpack(&args, &size), 1);
    EXPECT_REFUSED(SPORK_INVALID, spork_unpack(&args, &u), 1);
    EXPECT_EQ(7u, wide);
    EXPECT_EQ(7u, size);
    EXPECT_EQ(7u, u);
    EXPECT_TRUE(sentence_has("-1\\b")) << spork_error();
}

TEST(Value, TheUpperHalfOfAnUnsignedTypeIsNotANegativeInteger)
{
    spork_args args = spork_pack(UINT64_MAX);
    int64_t i = 7;
    EXPECT_REFUSED(SPORK_INVALID, spork_unpack(&args, &i), 1);
    EXPECT_EQ(7, i);
    EXPECT_TRUE(sentence_has("\\b18446744073709551615\\b")) << spork_error();
}

TEST(Value, OnlyZeroAndOneGoIntoABool)
{
    bool b = true;
    spork_args zero = spork_pack(0), one = spork_pack(1), two = spork_pack(2), minus = spork_pack(-1),
               far = spork_pack(256);
    EXPECT_EQ(SPORK_OK, spork_unpack(&zero, &b));
    EXPECT_FALSE(b);
    EXPECT_EQ(SPORK_OK, spork_unpack(&one, &b));
    EXPECT_TRUE(b);
    for (const spork_args *args : {&two, &minus, &far}) {
        EXPECT_REFUSED(SPORK_INVALID, spork_unpack(args, &b), 1);
        EXPECT_TRUE(b);
    }
    EXPECT_TRUE(sentence_has("\\b[Bb]ool\\b")) << spork_error();
}

TEST(Value, ABoolGoesIntoAnyIntegerAsZeroOrOne)
{
    spork_args args = spork_pack(true, false);
    signed char yes = 7;
    uint64_t no = 7;
    EXPECT_EQ(SPORK_OK, spork_unpack(&args, &yes, &no));
    EXPECT_EQ(1, yes);
    EXPECT_EQ(0u, no);
}

TEST(Value, AnEnumIsTheIntegerItStandsFor)
{
    spork_args blue = values_pack_colour(VALUES_BLUE), low = values_pack_level(VALUES_LOW);
    values_colour colour = VALUES_RED;
    values_level level = VALUES_HIGH;
    int i = 0;
    EXPECT_EQ(SPORK_OK, values_unpack_colour(&blue, &colour));
    EXPECT_EQ(VALUES_BLUE, colour);
    EXPECT_EQ(SPORK_OK, values_unpack_level(&low, &level));
    EXPECT_EQ(VALUES_LOW, level);
    EXPECT_EQ(SPORK_OK, spork_unpack(&low, &i));
    EXPECT_EQ(-5, i);
    EXPECT_EQ(SPORK_OK, spork_unpack(&blue, &i));
    EXPECT_EQ(700, i);
    unsigned char small = 7;
    EXPECT_REFUSED(SPORK_INVALID, spork_unpack(&blue, &small), 1);
    EXPECT_EQ(7, small);
    spork_args wide = spork_pack(int64_t{1} << 40);
    EXPECT_REFUSED(SPORK_INVALID, values_unpack_level(&wide, &level), 1);
    EXPECT_EQ(VALUES_LOW, level);
}

// ---- floating point ------------------------------------------------------------------------------------------------

TEST(Value, ADoubleArrivesBitForBit)
{
    using limits = std::numeric_limits<double>;
    for (double x : {0.0, -0.0, 0.1, -1e300, limits::min(), limits::denorm_min(), limits::max(), limits::lowest(),
                     infinity, -infinity, limits::quiet_NaN(), std::copysign(limits::quiet_NaN(), -1.0)}) {
        spork_args args = values_pack_double(x);
        double y = 7;
        EXPECT_EQ(SPORK_OK, values_unpack_double(&args, &y)) << x;
        EXPECT_TRUE(same_bits(x, y)) << x << " became " << y;
    }
}

TEST(Value, AFloatArrivesBitForBitAsAFloatAndExactlyAsADouble)
{
    using limits = std::numeric_limits<float>;
    for (float x : {0.0f, -0.0f, 0.1f, limits::min(), limits::denorm_min(), limits::max(), limits::lowest(),
                    limits::infinity(), -limits::infinity()}) {
        spork_args args = values_pack_float(x);
        float y = 7;
        double wide = 7;
        EXPECT_EQ(SPORK_OK, values_unpack_float(&args, &y)) << x;
        EXPECT_TRUE(same_bits(x, y)) << x << " became " << y;
        EXPECT_EQ(SPORK_OK, values_unpack_double(&args, &wide)) << x;
        EXPECT_TRUE(same_bits(static_cast<double>(x), wide)) << x << " became " << wide;
    }
}

TEST(Value, NaNStaysNaNInAFloat)
{
    spork_args of_float = values_pack_float(std::numeric_limits<float>::quiet_NaN());
    spork_args of_double = values_pack_double(std::numeric_limits<double>::quiet_NaN());
    for (const spork_args *args : {&of_float, &of_double}) {
        float f = 7;
        EXPECT_EQ(SPORK_OK, values_unpack_float(args, &f)) << spork_error();
        EXPECT_TRUE(std::isnan(f));
    }
}

TEST(Value, ADoubleThatIsNotAFloatIsRefusedAndNothingIsTouched)
{
    for (double x : {0.1, 16777217.0, 1e300, -1e300, 1e-320, std::numeric_limits<double>::denorm_min(),
                     std::nextafter(1.0, 2.0), static_cast<double>(std::numeric_limits<float>::max()) * 2}) {
        spork_args args = values_pack_double(x);
        float f = 7;
        EXPECT_REFUSED(SPORK_INVALID, values_unpack_float(&args, &f), 1);
        EXPECT_EQ(7, f) << x;
        EXPECT_TRUE(sentence_has("\\bfloat\\b")) << spork_error();
    }
}

TEST(Value, ADoubleThatIsAFloatGoesIntoOne)
{
    for (double x : {0.5, -0.0, 16777216.0, infinity, -infinity}) {
        spork_args args = values_pack_double(x);
        float f = 7;
        EXPECT_EQ(SPORK_OK, values_unpack_float(&args, &f)) << spork_error();
        EXPECT_TRUE(same_bits(static_cast<float>(x), f));
    }
}

TEST(Value, NumbersDoNotTurnIntoFloatingPointOrBack)
{
    spork_args whole = spork_pack(1), half = spork_pack(1.0);
    double d = 7;
    float f = 7;
    int i = 7;
    bool b = false;
    EXPECT_REFUSED(SPORK_INVALID, spork_unpack(&whole, &d), 1);
    EXPECT_REFUSED(SPORK_INVALID, spork_unpack(&whole, &f), 1);
    EXPECT_REFUSED(SPORK_INVALID, spork_unpack(&half, &i), 1);
    EXPECT_REFUSED(SPORK_INVALID, spork_unpack(&half, &b), 1);
    EXPECT_EQ(7, d);
    EXPECT_EQ(7, f);
    EXPECT_EQ(7, i);
    EXPECT_FALSE(b);
}

// ---- texts ---------------------------------------------------------------------------------------------------------

TEST(Value, ATextArrivesWholeAndAnEmptyOneIsEmpty)
{
    char writable[] = "writable";
    const std::string umlauts = "Gr\xC3\xBC\xC3\x9F"
                                "e, \xE4\xB8\x96\xE7\x95\x8C",
                      longest(100000, 'x');
    for (const std::string &in : {std::string(), std::string("a"), umlauts, longest}) {
        spork_args args = values_pack_text(in.c_str());
        const char *out = nullptr;
        EXPECT_EQ(SPORK_OK, values_unpack_text(&args, &out));
        EXPECT_STREQ(in.c_str(), out);
    }
    spork_args args = values_pack_writable_text(writable);
    const char *out = nullptr;
    EXPECT_EQ(SPORK_OK, values_unpack_text(&args, &out));
    EXPECT_STREQ("writable", out);
}

TEST(Value, ATextIsCopiedIntoABufferThatHoldsItWithItsEnd)
{
    spork_args args = values_pack_text("12345");
    char exact[8];
    std::memset(exact, '#', sizeof exact);
    EXPECT_EQ(SPORK_OK, values_unpack_text_into(&args, exact, 6));
    EXPECT_EQ(0, std::memcmp("12345\0##", exact, 8));
    char roomy[100] = "";
    EXPECT_EQ(SPORK_OK, values_unpack_text_into(&args, roomy, sizeof roomy));
    EXPECT_STREQ("12345", roomy);
    spork_args empty = values_pack_text("");
    char one[1] = {'#'};
    EXPECT_EQ(SPORK_OK, values_unpack_text_into(&empty, one, 1));
    EXPECT_EQ('\0', one[0]);
}

TEST(Value, ATextThatIsTooLongForTheBufferIsRefusedAndNothingIsTouched)
{
    spork_args args = values_pack_text("12345");
    for (size_t size = 0; size <= 5; size++) {
        char buffer[6] = {'#', '#', '#', '#', '#', '#'};
        EXPECT_REFUSED(SPORK_TOO_SMALL, values_unpack_text_into(&args, buffer, size), 1);
        EXPECT_EQ(0, std::memcmp("######", buffer, 6)) << size;
    }
    EXPECT_TRUE(sentence_has("\\b6\\b")) << "the room it needs: " << spork_error();
}

TEST(Value, ANullTextIsRefusedByUnpack)
{
    spork_args args = values_pack_text(nullptr);
    const char *out = "untouched";
    char buffer[4] = "old";
    EXPECT_REFUSED(SPORK_INVALID, values_unpack_text(&args, &out), 1);
    EXPECT_TRUE(sentence_has("\\bNULL\\b")) << spork_error();
    EXPECT_STREQ("untouched", out);
    EXPECT_REFUSED(SPORK_INVALID, values_unpack_text_into(&args, buffer, sizeof buffer), 1);
    EXPECT_TRUE(sentence_has("\\bNULL\\b")) << spork_error();
    EXPECT_STREQ("old", buffer);
}

// ---- bytes, structs, arrays, pointers ------------------------------------------------------------------------------

TEST(Value, BytesKeepTheirLengthAndTheirNuls)
{
    const char data[] = "a\0b\0";
    spork_args args = values_pack_bytes(data, 4);
    spork_bytes got = {nullptr, 99};
    EXPECT_EQ(SPORK_OK, values_unpack_bytes(&args, &got));
    ASSERT_EQ(4u, got.size);
    EXPECT_EQ(0, std::memcmp(data, got.data, 4));
}

TEST(Value, NoBytesAreFineWithAndWithoutAPointer)
{
    for (const void *data : {static_cast<const void *>(nullptr), static_cast<const void *>("x")}) {
        spork_args args = values_pack_bytes(data, 0);
        spork_bytes got = {nullptr, 99};
        EXPECT_EQ(SPORK_OK, values_unpack_bytes(&args, &got)) << spork_error();
        EXPECT_EQ(0u, got.size);
    }
}

TEST(Value, NoBytesAndNoElementsAreNeverRead)
{
    const auto *nowhere =
        reinterpret_cast<const char *>(uintptr_t{64}); // as an empty container may give: reading it crashes
    spork_args bytes = values_pack_bytes(nowhere, 0), array = values_pack_chars(nowhere, 0);
    for (int target = 0; target < VALUES_INTO_COUNT; target++) {
        values_unpack_one(&bytes, static_cast<values_target>(target));
        values_unpack_one(&array, static_cast<values_target>(target));
    }
}

TEST(Value, AStructArrivesByValue)
{
    values_settings in = {90, 0.5, "best"}, out = {0, 0, ""};
    spork_args args = values_pack_settings(&in);
    EXPECT_EQ(SPORK_OK, values_unpack_settings(&args, &out));
    EXPECT_EQ(90, out.quality);
    EXPECT_EQ(0.5, out.scale);
    EXPECT_STREQ("best", out.name);
}

TEST(Value, AStructOfAnotherSizeIsRefusedAndNothingIsTouched)
{
    values_settings in = {90, 0.5, "best"};
    values_point out = {1, 2};
    spork_args args = values_pack_settings(&in);
    EXPECT_REFUSED(SPORK_INVALID, values_unpack_point(&args, &out), 1);
    EXPECT_EQ(1, out.x);
    EXPECT_EQ(2, out.y);
    EXPECT_TRUE(sentence_has("\\b" + std::to_string(sizeof in) + "\\b")) << "both sizes: " << spork_error();
    EXPECT_TRUE(sentence_has("\\b" + std::to_string(sizeof out) + "\\b")) << "both sizes: " << spork_error();
}

TEST(Value, AnArrayOfNoneOneOrManyArrivesWithItsLength)
{
    std::vector<values_point> points(10000);
    for (size_t i = 0; i < points.size(); i++) points[i] = {static_cast<float>(i), -1.0f};
    for (size_t n : {size_t{0}, size_t{1}, size_t{2}, points.size()}) {
        spork_args args = values_pack_points(points.data(), n);
        const values_point *got = nullptr;
        size_t count = 99999;
        EXPECT_EQ(SPORK_OK, values_unpack_points(&args, &got, &count)) << spork_error();
        ASSERT_EQ(n, count);
        for (size_t i = 0; i < n; i++) ASSERT_EQ(static_cast<float>(i), got[i].x);
    }
    const char letters[3] = {'a', 'b', 'c'}; // an array of char is no text: it has no end
    const short shorts[2] = {-1, 1};
    const char *got_letters = nullptr;
    const short *got_shorts = nullptr;
    size_t letter_count = 0, short_count = 0;
    spork_args args = values_pack_chars(letters, 3);
    EXPECT_EQ(SPORK_OK, values_unpack_chars(&args, &got_letters, &letter_count));
    EXPECT_EQ("abc", std::string(got_letters, letter_count));
    args = values_pack_shorts(shorts, 2);
    EXPECT_EQ(SPORK_OK, values_unpack_shorts(&args, &got_shorts, &short_count));
    ASSERT_EQ(2u, short_count);
    EXPECT_EQ(-1, got_shorts[0]);
    EXPECT_EQ(1, got_shorts[1]);
}

TEST(Value, AnArrayOfNoElementsMayBeNull)
{
    spork_args args = values_pack_points(nullptr, 0);
    const values_point *got = nullptr;
    size_t count = 99;
    EXPECT_EQ(SPORK_OK, values_unpack_points(&args, &got, &count)) << spork_error();
    EXPECT_EQ(0u, count);
}

TEST(Value, AnArrayOfOtherElementsIsRefusedAndNothingIsTouched)
{
    const short shorts[4] = {1, 2, 3, 4}; // as many bytes as one point has
    spork_args args = values_pack_shorts(shorts, 4);
    const values_point mine = {1, 2}, *got = &mine;
    size_t count = 99;
    EXPECT_REFUSED(SPORK_INVALID, values_unpack_points(&args, &got, &count), 1);
    EXPECT_EQ(&mine, got);
    EXPECT_EQ(99u, count);
    EXPECT_TRUE(sentence_has("\\b2\\b")) << "both sizes: " << spork_error();
    EXPECT_TRUE(sentence_has("\\b8\\b")) << "both sizes: " << spork_error();
}

TEST(Value, NullWithALengthIsRefusedByUnpack)
{
    const short mine = 7, *shorts = &mine;
    size_t count = 99;
    spork_bytes bytes = {"old", 3};
    values_settings settings = {1, 2, "old"};
    spork_args args = values_pack_shorts(nullptr, 3);
    EXPECT_REFUSED(SPORK_INVALID, values_unpack_shorts(&args, &shorts, &count), 1);
    EXPECT_TRUE(sentence_has("\\bNULL\\b")) << spork_error();
    EXPECT_EQ(&mine, shorts);
    EXPECT_EQ(99u, count);
    args = values_pack_bytes(nullptr, 3);
    EXPECT_REFUSED(SPORK_INVALID, values_unpack_bytes(&args, &bytes), 1);
    EXPECT_TRUE(sentence_has("\\bNULL\\b")) << spork_error();
    EXPECT_EQ(3u, bytes.size);
    EXPECT_STREQ("old", static_cast<const char *>(bytes.data));
    args = values_pack_settings(nullptr);
    EXPECT_REFUSED(SPORK_INVALID, values_unpack_settings(&args, &settings), 1);
    EXPECT_TRUE(sentence_has("\\bNULL\\b")) << spork_error();
    EXPECT_STREQ("old", settings.name);
}

TEST(Value, APointerReachesWhoeverIsInTheSameProcess)
{
    int target = 5;
    void *got = nullptr;
    spork_args args = values_pack_pointer(&target);
    EXPECT_EQ(SPORK_OK, values_unpack_pointer(&args, &got));
    EXPECT_EQ(&target, got);
    args = values_pack_pointer(nullptr);
    EXPECT_EQ(SPORK_OK, values_unpack_pointer(&args, &got)) << spork_error();
    EXPECT_EQ(nullptr, got);
}

TEST(Value, AnObjectOfAnotherCopyOfSporkIsRefused)
{
    harness_end *reader, *writer, *out = nullptr;
    ASSERT_TRUE(harness_pipe(&reader, &writer));
    spork_args args = spork_pack(harness_give(writer));
    args.origin = spork__values_origin() ^ 2u; // as a plug-in's own static library would mark it
    EXPECT_REFUSED(SPORK_INVALID, spork_unpack(&args, harness_take(&out)), 1);
    EXPECT_TRUE(sentence_has("another copy of Spork")) << spork_error();
    EXPECT_EQ(nullptr, out);
    args.origin = spork__values_origin();
    EXPECT_EQ(SPORK_OK, spork_unpack(&args, harness_take(&out)));
    EXPECT_EQ(writer, out);
    harness_end_free(reader);
    harness_end_free(writer);
}

TEST(Value, OnlyAnUnpackedObjectCanBeKept)
{
    EXPECT_EQ(SPORK_INVALID, values_keep_a_number());
    EXPECT_STRNE("", spork_error());
}

// ---- how people write it -------------------------------------------------------------------------------------------

TEST(Value, TheManualsExampleWorksInC)
{
    const values_settings settings = {80, 2.5, "web"};
    values_resize got = values_resize_example(&settings);
    ASSERT_EQ(SPORK_OK, got.status) << spork_error();
    EXPECT_STREQ("photo.png", got.file);
    EXPECT_EQ(640, got.width);
    EXPECT_EQ(80, got.settings.quality);
    EXPECT_STREQ("web", got.settings.name);
}

TEST(Value, TheManualsExampleWorksInCpp)
{
    const values_settings settings = {80, 2.5, "web"};
    spork_args args = spork_pack("photo.png", 640, spork_struct(&settings));
    const char *file = nullptr;
    int width = 0;
    values_settings got = {0, 0, ""};
    ASSERT_EQ(SPORK_OK, spork_unpack(&args, &file, &width, spork_struct_into(&got))) << spork_error();
    EXPECT_STREQ("photo.png", file);
    EXPECT_EQ(640, width);
    EXPECT_EQ(80, got.quality);
    EXPECT_STREQ("web", got.name);
}

TEST(Value, LiteralsOfEveryTypeCanBePackedAndThePackReturned)
{
    spork_args args = values_pack_literals();
    values_literals v = values_unpack_literals(&args);
    ASSERT_EQ(SPORK_OK, v.status) << spork_error();
    EXPECT_EQ(-1, v.i);
    EXPECT_EQ('x', v.c);
    EXPECT_EQ(2u, v.u);
    EXPECT_EQ(-3L, v.l);
    EXPECT_EQ(4UL, v.ul);
    EXPECT_EQ(-5LL, v.ll);
    EXPECT_EQ(6ULL, v.ull);
    EXPECT_EQ(1.5f, v.f);
    EXPECT_EQ(0.1, v.d);
    EXPECT_TRUE(v.yes);
    EXPECT_FALSE(v.no);
    EXPECT_STREQ("text", v.text);
    EXPECT_STREQ("", v.empty);
    EXPECT_EQ(VALUES_BLUE, v.colour);
}

TEST(Value, ConstVolatileAndArrayArgumentsArePackedAsTheirValues)
{
    char parameter[16] = "parameter";
    values_qualified v = values_qualify(parameter);
    ASSERT_EQ(SPORK_OK, v.status) << spork_error();
    EXPECT_EQ(1, v.constant);
    EXPECT_EQ(2, v.changing);
    EXPECT_EQ(3, v.both);
    EXPECT_EQ(4, v.fast);
    EXPECT_EQ(5, v.member);
    EXPECT_EQ(200, v.sum);
    EXPECT_EQ(7, v.element);
    EXPECT_STREQ("array", v.array);
    EXPECT_STREQ("const", v.constant_array);
    EXPECT_STREQ("parameter", v.parameter);
    EXPECT_STREQ("const pointer", v.constant_pointer);
    EXPECT_EQ(0.25, v.constant_double);
    EXPECT_TRUE(v.constant_bool);
}

TEST(Value, SixteenValuesOfAllSortsFit)
{
    int64_t got[16] = {0};
    ASSERT_EQ(SPORK_OK, values_sixteen(got)) << spork_error();
    const int64_t expected[16] = {-1, 2, -3, 4, -5, 6, -7, 8, -9, 10, 11, 12, 13, 14, 7, 1};
    for (int i = 0; i < 16; i++) EXPECT_EQ(expected[i], got[i]) << "value " << i + 1;
}

TEST(Value, APackCanBeStoredInAStructAndPassedOn)
{
    values_job job = values_make_job(3, 10, 20), copy = job;
    int from = 0, to = 0;
    EXPECT_EQ(SPORK_OK, values_run_job(&copy, &from, &to));
    EXPECT_EQ(10, from);
    EXPECT_EQ(20, to);
    EXPECT_EQ(SPORK_OK, values_run_job_at_once(1, 2, &from, &to));
    EXPECT_EQ(1, from);
    EXPECT_EQ(2, to);
}

TEST(Value, AnUnpackingCanBeRepeated)
{
    const spork_args args = spork_pack(1, "two");
    for (int round = 0; round < 3; round++) {
        int one = 0;
        const char *two = nullptr;
        EXPECT_EQ(SPORK_OK, spork_unpack(&args, &one, &two));
        EXPECT_EQ(1, one);
        EXPECT_STREQ("two", two);
    }
}

TEST(Value, EachArgumentIsEvaluatedOnce)
{
    int packed[3] = {0, 0, 0}, unpacked[3] = {0, 0, 0};
    values_evaluate(packed, unpacked);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(1, packed[i]) << i;
        EXPECT_EQ(1, unpacked[i]) << i;
    }
}

TEST(Value, WhatCPacksCppUnpacksAndTheOtherWayRound)
{
    spork_args from_c = values_pack_three_ints(1, -2, 3);
    int8_t a = 0;
    long b = 0;
    uint64_t c = 0;
    EXPECT_EQ(SPORK_OK, spork_unpack(&from_c, &a, &b, &c));
    EXPECT_EQ(1, a);
    EXPECT_EQ(-2, b);
    EXPECT_EQ(3u, c);
    spork_args from_cpp = spork_pack('\4', 5ULL, short{-6});
    int x = 0, y = 0, z = 0;
    EXPECT_EQ(SPORK_OK, values_unpack_three_ints(&from_cpp, &x, &y, &z));
    EXPECT_EQ(4, x);
    EXPECT_EQ(5, y);
    EXPECT_EQ(-6, z);
}

// ---- the same in C++: overloads and templates ----------------------------------------------------------------------

namespace {

template <class T> class CppInteger : public testing::Test {
};
using CppIntegers = testing::Types<bool, char, signed char, unsigned char, short, unsigned short, int, unsigned, long,
                                   unsigned long, long long, unsigned long long, wchar_t, char16_t, char32_t>;
TYPED_TEST_SUITE(CppInteger, CppIntegers, );

enum class Small : unsigned char { none, all = 255 };
enum class Wide : int64_t { low = INT64_MIN, high = INT64_MAX };

} // namespace

TYPED_TEST(CppInteger, CarriesItsExtremesAndRefusesWhatDoesNotFit)
{
    using limits = std::numeric_limits<TypeParam>;
    const TypeParam lowest = limits::lowest(), highest = limits::max();
    spork_args args = spork_pack(lowest, highest, TypeParam{});
    TypeParam low{1}, high{}, zero{1};
    EXPECT_EQ(SPORK_OK, spork_unpack(&args, &low, &high, &zero)) << spork_error();
    EXPECT_EQ(lowest, low);
    EXPECT_EQ(highest, high);
    EXPECT_EQ(TypeParam{}, zero);

    if constexpr (sizeof(TypeParam) < sizeof(int64_t)) {
        spork_args over = spork_pack(static_cast<int64_t>(highest) + 1),
                   under = spork_pack(static_cast<int64_t>(lowest) - 1);
        EXPECT_REFUSED(SPORK_INVALID, spork_unpack(&over, &high), 1);
        EXPECT_REFUSED(SPORK_INVALID, spork_unpack(&under, &low), 1);
        EXPECT_EQ(highest, high);
        EXPECT_EQ(lowest, low);
    }
}

TEST(Value, CppEnumsTravelByTheirUnderlyingTypes)
{
    spork_args args = spork_pack(Small::all, Wide::low, Wide::high, VALUES_LOW);
    Small small = Small::none;
    Wide low = Wide::high, high = Wide::low;
    values_level level = VALUES_HIGH;
    EXPECT_EQ(SPORK_OK, spork_unpack(&args, &small, &low, &high, &level)) << spork_error();
    EXPECT_EQ(Small::all, small);
    EXPECT_EQ(Wide::low, low);
    EXPECT_EQ(Wide::high, high);
    EXPECT_EQ(VALUES_LOW, level);
    spork_args over = spork_pack(256);
    EXPECT_REFUSED(SPORK_INVALID, spork_unpack(&over, &small), 1);
    EXPECT_EQ(Small::all, small);
}

TEST(Value, CppPacksEverySortOfValue)
{
    const std::string name = "name";
    const int table[3] = {1, 2, 3};
    char writable[8] = "own";
    const values_point point = {1, 2};
    int target = 0;
    const volatile int constant = 9;
    spork_args args = spork_pack(name.c_str(), writable, 1.5, 0.5f, spork_bytes_of("\0\1", 2), spork_struct(&point),
                                 spork_array(table, 3), spork_pointer(&target), constant);
    const char *got_name = nullptr;
    char own[8] = "";
    double d = 0;
    float f = 0;
    spork_bytes bytes = {nullptr, 0};
    values_point got_point = {0, 0};
    const int *got_table = nullptr;
    size_t count = 0;
    int *got_target = nullptr, got_constant = 0;
    ASSERT_EQ(SPORK_OK, spork_unpack(&args, &got_name, spork_text_into(own, sizeof own), &d, &f, &bytes,
                                     spork_struct_into(&got_point), spork_array_into(&got_table, &count),
                                     spork_pointer_into(&got_target), &got_constant))
        << spork_error();
    EXPECT_EQ(name, got_name);
    EXPECT_STREQ("own", own);
    EXPECT_EQ(1.5, d);
    EXPECT_EQ(0.5f, f);
    EXPECT_EQ(2u, bytes.size);
    EXPECT_EQ(2, got_point.y);
    ASSERT_EQ(3u, count);
    EXPECT_EQ(3, got_table[2]);
    EXPECT_EQ(&target, got_target);
    EXPECT_EQ(9, got_constant);
}

TEST(Value, CppPacksSixteenValues)
{
    const spork_args args = spork_pack(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    int v[16];
    ASSERT_EQ(SPORK_OK, spork_unpack(&args, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9],
                                     &v[10], &v[11], &v[12], &v[13], &v[14], &v[15]));
    for (int i = 0; i < 16; i++) EXPECT_EQ(i, v[i]);
}

// ---- what is refused -----------------------------------------------------------------------------------------------

TEST(Value, AMissingArgumentIsRefusedAndNothingIsTouched)
{
    spork_args args = spork_pack(1, 2);
    int a = 7, b = 7, c = 7;
    EXPECT_REFUSED(SPORK_INVALID, values_unpack_three_ints(&args, &a, &b, &c), 3);
    EXPECT_EQ(7, a);
    EXPECT_EQ(7, b);
    EXPECT_EQ(7, c);
}

TEST(Value, ASurplusArgumentIsRefusedAndNothingIsTouched)
{
    spork_args args = values_pack_three_ints(1, 2, 3);
    int a = 7;
    EXPECT_REFUSED(SPORK_INVALID, values_unpack_one_int(&args, &a), 2);
    EXPECT_EQ(7, a);
}

TEST(Value, NoArgumentsAreNotOne)
{
    int a = 7;
    spork_args from_c = values_pack_none(), from_cpp = SPORK_NO_ARGS;
    EXPECT_EQ(0u, from_c.count);
    EXPECT_EQ(0u, from_cpp.count);
    EXPECT_REFUSED(SPORK_INVALID, spork_unpack(&from_c, &a), 1);
    EXPECT_REFUSED(SPORK_INVALID, values_unpack_one_int(&from_cpp, &a), 1);
    EXPECT_EQ(7, a);
}

TEST(Value, NullArgsAndNullVariablesAreRefused)
{
    int a = 7;
    spork_args args = spork_pack(1);
    EXPECT_EQ(SPORK_INVALID, spork_unpack(nullptr, &a));
    EXPECT_EQ(7, a);
    EXPECT_REFUSED(SPORK_INVALID, values_unpack_into_null(&args), 1);
}

TEST(Value, AWrongTypeIsRefusedWithTheNumberAndBothTypes)
{
    struct {
        values_packed packed;
        const char *name;
    } const from[] = {
        {VALUES_PACKED_INTEGER, "int|integer"}, {VALUES_PACKED_FLOAT, "float|double|floating"},
        {VALUES_PACKED_TEXT, "text|string"},    {VALUES_PACKED_BYTES, "bytes"},
        {VALUES_PACKED_STRUCT, "struct"},       {VALUES_PACKED_ARRAY, "array"},
        {VALUES_PACKED_POINTER, "pointer"},
    };
    struct {
        values_target target;
        const char *name;
        std::vector<values_packed> takes;
    } const to[] = {
        {VALUES_INTO_INT, "int|integer", {VALUES_PACKED_INTEGER}},
        {VALUES_INTO_BOOL, "bool", {VALUES_PACKED_INTEGER}},
        {VALUES_INTO_DOUBLE, "double|floating", {VALUES_PACKED_FLOAT}},
        {VALUES_INTO_FLOAT, "float|floating", {VALUES_PACKED_FLOAT}},
        {VALUES_INTO_TEXT, "text|string|char", {VALUES_PACKED_TEXT}},
        {VALUES_INTO_TEXT_BUFFER, "text|string|char|text_into", {VALUES_PACKED_TEXT}},
        {VALUES_INTO_BYTES, "bytes", {VALUES_PACKED_BYTES}},
        {VALUES_INTO_STRUCT, "struct", {VALUES_PACKED_STRUCT}},
        {VALUES_INTO_ARRAY, "array", {VALUES_PACKED_ARRAY}},
        {VALUES_INTO_POINTER, "pointer", {VALUES_PACKED_POINTER}},
    };
    static_assert(sizeof from / sizeof from[0] == VALUES_PACKED_COUNT && sizeof to / sizeof to[0] == VALUES_INTO_COUNT,
                  "all");

    for (const auto &f : from) {
        for (const auto &t : to) {
            SCOPED_TRACE(std::string(f.name) + " into " + t.name);
            spork_args args = values_pack_one(f.packed);
            values_stored got = values_unpack_one(&args, t.target);
            bool taken = false;
            for (values_packed p : t.takes) taken = taken || p == f.packed;
            if (taken) {
                EXPECT_EQ(SPORK_OK, got.status) << spork_error();
                continue;
            }
            EXPECT_EQ(SPORK_INVALID, got.status);
            EXPECT_FALSE(got.touched);
            EXPECT_TRUE(sentence_has("argument 1\\b")) << spork_error();
            EXPECT_TRUE(sentence_has("\\b(" + std::string(f.name) + ")\\b")) << spork_error();
            EXPECT_TRUE(sentence_has("\\b(" + std::string(t.name) + ")\\b")) << spork_error();
        }
    }
}

TEST(Value, OneWrongArgumentAmongManyIsNamedAndNoVariableIsTouched)
{
    const short odd[3] = {1, 2, 3};
    const spork_item wrong = spork_struct(&odd); // no target takes a struct of this size
    const spork_args good = values_pack_all("1234567", 255);
    ASSERT_EQ(static_cast<uint32_t>(VALUES_ALL), good.count);
    EXPECT_EQ(SPORK_OK, values_unpack_all(&good).status) << spork_error();
    for (uint32_t i = 0; i < good.count; i++) {
        spork_args args = good;
        args.items[i] = wrong;
        values_stored got = values_unpack_all(&args);
        EXPECT_EQ(SPORK_INVALID, got.status) << i;
        EXPECT_FALSE(got.touched) << i;
        EXPECT_TRUE(sentence_has("argument " + std::to_string(i + 1) + "\\b")) << spork_error();
    }
}

TEST(Value, AValueTooLargeBehindGoodOnesLeavesThemUntouchedToo)
{
    const spork_args too_wide = values_pack_all("1234567", 256), too_long = values_pack_all("12345678", 255);
    values_stored got = values_unpack_all(&too_wide);
    EXPECT_EQ(SPORK_INVALID, got.status);
    EXPECT_FALSE(got.touched);
    EXPECT_TRUE(sentence_has("argument 11\\b")) << spork_error();
    got = values_unpack_all(&too_long);
    EXPECT_EQ(SPORK_TOO_SMALL, got.status);
    EXPECT_FALSE(got.touched);
    EXPECT_TRUE(sentence_has("argument 6\\b")) << spork_error();
}

TEST(Value, ASuccessfulUnpackLeavesTheEarlierSentenceAlone)
{
    spork_args args = spork_pack(300);
    unsigned char small = 0;
    int wide = 0;
    EXPECT_EQ(SPORK_INVALID, spork_unpack(&args, &small));
    const std::string sentence = spork_error();
    EXPECT_EQ(SPORK_OK, spork_unpack(&args, &wide));
    EXPECT_EQ(sentence, spork_error());
    EXPECT_EQ(SPORK_INVALID, spork_last_status());
}
