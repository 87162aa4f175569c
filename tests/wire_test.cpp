// The encoding in which values travel: whatever a pack holds arrives, and whatever spork__values_encode did not write
// is refused.
#include <gtest/gtest.h>
#include <spork/spork.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "alloc.h"
#include "budget.h"
#include "fault.h"
#include "harness/harness.h"
#include "harness/values.h"
#include "value.h"

namespace {

using Bytes = std::vector<unsigned char>;

// Exactly as large as its message and aligned to 16, so that sanitizers and valgrind see the first byte too far.
class Block {
  public:
    explicit Block(const Bytes &bytes, size_t shift = 0) : size_(bytes.size()), shift_(shift)
    {
        memory_ = static_cast<unsigned char *>(::operator new (size_ + shift_, std::align_val_t{16}));
        if (size_ > 0) std::memcpy(data(), bytes.data(), size_);
    }
    Block(const Block &) = delete;
    Block &operator=(const Block &) = delete;
    ~Block() { ::operator delete (memory_, std::align_val_t{16}); }

    unsigned char *data() const { return memory_ + shift_; }
    size_t size() const { return size_; }

  private:
    unsigned char *memory_;
    size_t size_, shift_;
};

struct Entry {
    uint16_t kind, flags;
    uint32_t unit;
    uint64_t value;
};
static_assert(sizeof(Entry) == 16, "as src/value.c describes it");

constexpr size_t header_size = 16;
constexpr uint16_t int_kind = 1, uint_kind = 2, float_kind = 3, text_kind = 4, bytes_kind = 5, struct_kind = 6,
                   array_kind = 7;

template <class T> void put(Bytes &bytes, size_t at, T value)
{
    if (bytes.size() < at + sizeof value) bytes.resize(at + sizeof value);
    std::memcpy(&bytes[at], &value, sizeof value);
}

void put_count(Bytes &bytes, uint32_t count) { put(bytes, 4, count); }
void put_total(Bytes &bytes, uint64_t total) { put(bytes, 8, total); }

// A message by hand. Payloads are padded here, and the header tells the truth; tests then break what they want.
Bytes message(const std::vector<Entry> &entries, const std::vector<std::string> &payloads = {})
{
    Bytes bytes(header_size, 0);
    std::memcpy(bytes.data(), "SPV1", 4);
    put_count(bytes, static_cast<uint32_t>(entries.size()));
    for (const Entry &entry : entries) put(bytes, bytes.size(), entry);
    for (const std::string &payload : payloads) {
        bytes.insert(bytes.end(), payload.begin(), payload.end());
        bytes.resize((bytes.size() + 15) / 16 * 16, 0);
    }
    put_total(bytes, bytes.size());
    return bytes;
}

Bytes encode(const spork_args &args)
{
    size_t size = 0;
    EXPECT_EQ(SPORK_OK, spork__values_size(&args, &size)) << spork_error();
    Block room(Bytes(size, 0xEE));
    EXPECT_EQ(SPORK_OK, spork__values_encode(&args, room.data(), size)) << spork_error();
    return Bytes(room.data(), room.data() + size);
}

// Reads every byte that the args point to. Returns what is wrong with them, or "".
std::string walk(const spork_args &args, const Block &block)
{
    static volatile unsigned sink;
    unsigned sum = 0;
    if (args.count > SPORK_MAX_VALUES) return "too many values";
    for (uint32_t i = 0; i < args.count; i++) {
        const spork_item &item = args.items[i];
        const std::string name = "value " + std::to_string(i + 1) + " ";
        uint64_t size = item.count;
        switch (item.kind) {
        case int_kind:
        case uint_kind:
        case float_kind: continue;
        case text_kind: size = item.count + 1; break;
        case bytes_kind: break;
        case struct_kind:
        case array_kind:
            if (item.unit == 0 || item.count > block.size() / item.unit) return name + "has elements outside";
            size = item.count * item.unit;
            break;
        default: return name + "is of kind " + std::to_string(item.kind);
        }
        const uintptr_t begin = reinterpret_cast<uintptr_t>(block.data()), at = reinterpret_cast<uintptr_t>(item.as.p);
        if (at < begin || at > begin + block.size() || size > begin + block.size() - at) return name + "lies outside";
        if (at % 16 != 0) return name + "is not aligned";
        const unsigned char *p = static_cast<const unsigned char *>(item.as.p);
        for (uint64_t k = 0; k < size; k++) sum += p[k];
        if (item.kind == text_kind && std::strlen(static_cast<const char *>(item.as.p)) != item.count)
            return name + "is no string";
    }
    sink = sink + sum;
    return "";
}

spork_args untouched_args()
{
    spork_args args = SPORK_NO_ARGS;
    args.count = 77;
    args.origin = 77;
    return args;
}

// Refused, with a sentence, and *args is as it was. "" if so.
std::string not_refused(const Bytes &bytes)
{
    Block block(bytes);
    spork_args args = untouched_args();
    spork_status status = spork__values_decode(block.data(), block.size(), &args);
    if (status != SPORK_BAD_MESSAGE) return spork_status_name(status);
    if (args.count != 77 || args.origin != 77) return "the args were touched";
    return spork_error()[0] != 0 ? "" : "there is no sentence";
}

// Either refused, or decoded to what can be walked and encodes to the same bytes again. "" if so.
std::string not_refused_nor_sound(const Bytes &bytes, bool *accepted)
{
    Block block(bytes);
    spork_args args = untouched_args();
    spork_status status = spork__values_decode(block.data(), block.size(), &args);
    *accepted = status == SPORK_OK;
    if (status != SPORK_OK) return status == SPORK_BAD_MESSAGE ? "" : spork_status_name(status);
    std::string wrong = walk(args, block);
    if (wrong.empty() && encode(args) != bytes) wrong = "there are two encodings of one pack";
    return wrong;
}

const values_settings settings = {90, 0.5, "best"};
const int32_t table[5] = {1, -2, 3, -4, 5};
const values_point points[3] = {{1, 2}, {3, 4}, {5, 6}};

// Lengths around the padding, every kind, none and all sixteen.
std::vector<spork_args> samples()
{
    std::vector<spork_args> packs = {SPORK_NO_ARGS};
    packs.push_back(spork_pack(-1));
    packs.push_back(spork_pack(UINT64_MAX, INT64_MIN, true, 'c'));
    packs.push_back(spork_pack(-0.0, 0.1f));
    packs.push_back(spork_pack(""));
    packs.push_back(spork_pack("fifteen letters"));
    packs.push_back(spork_pack("sixteen letters!"));
    packs.push_back(spork_pack(spork_bytes_of(nullptr, 0)));
    packs.push_back(spork_pack(spork_bytes_of("\0\0", 1), 1, spork_bytes_of("sixteen letters!", 16)));
    packs.push_back(spork_pack(spork_struct(&settings), spork_struct(&points[0])));
    packs.push_back(
        spork_pack(spork_array(table, 0), spork_array(table, 1), spork_array(table, 4), spork_array(table, 5)));
    packs.push_back(spork_pack(spork_array(points, 3), "between", spork_array(points, 0)));
    packs.push_back(spork_pack(1, "photo.png", 0.25, spork_struct(&settings), spork_array(table, 5),
                               spork_bytes_of("abc", 3), "", true, -7L, 8ULL, spork_array(points, 2), 11.5f, "twelve",
                               13, spork_bytes_of("", 0), "the end"));
    return packs;
}

#define EXPECT_BROKEN(bytes) EXPECT_EQ("", not_refused(bytes))

unsigned seed()
{
    const char *given = std::getenv("SPORK_TEST_SEED"); // to see a failure again
    const unsigned chosen =
        given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
    std::printf("SPORK_TEST_SEED=%u\n", chosen);
    return chosen;
}

} // namespace

// ---- what encode writes, decode reads ------------------------------------------------------------------------------

TEST(Wire, EveryKindOfValueArrives)
{
    spork_args packed = spork_pack(-1, 0.1, "text", spork_bytes_of("a\0b", 3), spork_struct(&settings),
                                   spork_array(table, 5), true, "");
    Block block(encode(packed));
    spork_args args = untouched_args();
    ASSERT_EQ(SPORK_OK, spork__values_decode(block.data(), block.size(), &args)) << spork_error();
    int i = 0;
    double d = 0;
    const char *text = nullptr, *empty = nullptr;
    spork_bytes bytes = {nullptr, 0};
    values_settings s = {0, 0, ""};
    const int32_t *array = nullptr;
    size_t count = 0;
    bool b = false;
    ASSERT_EQ(SPORK_OK, spork_unpack(&args, &i, &d, &text, &bytes, spork_struct_into(&s),
                                     spork_array_into(&array, &count), &b, &empty))
        << spork_error();
    EXPECT_EQ(-1, i);
    EXPECT_EQ(0.1, d);
    EXPECT_STREQ("text", text);
    ASSERT_EQ(3u, bytes.size);
    EXPECT_EQ(0, std::memcmp("a\0b", bytes.data, 3));
    EXPECT_EQ(90, s.quality);
    EXPECT_STREQ("best", s.name);
    ASSERT_EQ(5u, count);
    EXPECT_EQ(0, std::memcmp(table, array, sizeof table));
    EXPECT_TRUE(b);
    EXPECT_STREQ("", empty);
    EXPECT_EQ(0u, packed.origin);
    EXPECT_NE(0u, args.origin) << "received args bear the mark of their library";
}

TEST(Wire, SamplesOfAllSizesDecodeInPlaceAndEncodeToTheSameBytes)
{
    for (const spork_args &packed : samples()) {
        const Bytes bytes = encode(packed);
        bool accepted = false;
        EXPECT_EQ("", not_refused_nor_sound(bytes, &accepted));
        EXPECT_TRUE(accepted) << spork_error();
    }
}

TEST(Wire, TheLayoutIsTheOneThatValueCDescribes)
{
    const std::string number_three("\3\0\0\0\0\0\0\0", 8);
    EXPECT_EQ(message({}), encode(SPORK_NO_ARGS));
    EXPECT_EQ(message({{int_kind, 0, 0, UINT64_MAX}}), encode(spork_pack(-1)));
    EXPECT_EQ(message({{uint_kind, 0, 0, 1}}), encode(spork_pack(true)));
    EXPECT_EQ(message({{float_kind, 0, 0, 0x3ff0000000000000}}), encode(spork_pack(1.0f)));
    EXPECT_EQ(message({{text_kind, 0, 1, 2}}, {"hi"}), encode(spork_pack("hi")));
    EXPECT_EQ(message({{text_kind, 0, 1, 0}}, {std::string(1, '\0')}), encode(spork_pack("")));
    EXPECT_EQ(message({{bytes_kind, 0, 1, 2}, {bytes_kind, 0, 1, 0}}, {"hi", ""}),
              encode(spork_pack(spork_bytes_of("hi", 2), spork_bytes_of("", 0))));
    const int64_t three = 3;
    EXPECT_EQ(message({{struct_kind, 0, 8, 1}}, {number_three}), encode(spork_pack(spork_struct(&three))));
    EXPECT_EQ(message({{array_kind, 0, 8, 1}}, {number_three}), encode(spork_pack(spork_array(&three, 1))));
    EXPECT_EQ(message({{array_kind, 0, 8, 0}}), encode(spork_pack(spork_array(&three, 0))));
}

TEST(Wire, EveryPayloadIsAlignedTo16)
{
    for (size_t length = 0; length <= 33; length++) {
        const std::string odd(length, 'x');
        Block block(encode(spork_pack(odd.c_str(), spork_bytes_of(odd.data(), length), spork_array(odd.data(), length),
                                      spork_array(table, 5), spork_struct(&settings))));
        spork_args args = untouched_args();
        ASSERT_EQ(SPORK_OK, spork__values_decode(block.data(), block.size(), &args)) << spork_error();
        EXPECT_EQ("", walk(args, block)) << length;
        EXPECT_EQ(0u, block.size() % 16);
    }
}

TEST(Wire, EncodeWritesItsOwnBytesAndNoOthers)
{
    for (const spork_args &packed : samples()) {
        size_t size = 0;
        ASSERT_EQ(SPORK_OK, spork__values_size(&packed, &size));
        Block room(Bytes(size + 32, 0xEE));
        ASSERT_EQ(SPORK_OK, spork__values_encode(&packed, room.data() + 16, size));
        for (size_t i = 0; i < 16; i++) {
            EXPECT_EQ(0xEE, room.data()[i]);
            EXPECT_EQ(0xEE, room.data()[16 + size + i]);
        }
    }
}

TEST(Wire, EncodeRefusesAnotherSizeThanItNeeds)
{
    const spork_args packed = spork_pack("photo.png", spork_array(table, 5));
    size_t size = 0;
    ASSERT_EQ(SPORK_OK, spork__values_size(&packed, &size));
    for (size_t wrong : {size_t{0}, size - 16, size - 1, size + 1, size + 16}) {
        Block room(Bytes(size + 16, 0xEE));
        EXPECT_EQ(SPORK_INVALID, spork__values_encode(&packed, room.data(), wrong)) << wrong;
        for (size_t i = wrong; i < room.size(); i++) ASSERT_EQ(0xEE, room.data()[i]) << wrong;
    }
}

TEST(Wire, ANaNAndANegativeZeroKeepTheirBits)
{
    for (uint64_t bits : {uint64_t{0x8000000000000000}, uint64_t{0x7ff8000000000123}, uint64_t{0xfff0000000000000}}) {
        double in = 0, out = 0;
        std::memcpy(&in, &bits, 8);
        Block block(encode(spork_pack(in)));
        spork_args args = untouched_args();
        ASSERT_EQ(SPORK_OK, spork__values_decode(block.data(), block.size(), &args));
        ASSERT_EQ(SPORK_OK, spork_unpack(&args, &out));
        EXPECT_EQ(0, std::memcmp(&bits, &out, 8));
    }
}

TEST(Wire, AReceivedPackCanBeSentOn)
{
    Block block(encode(samples().back()));
    spork_args args = untouched_args();
    ASSERT_EQ(SPORK_OK, spork__values_decode(block.data(), block.size(), &args));
    EXPECT_EQ(Bytes(block.data(), block.data() + block.size()), encode(args));
}

// ---- what cannot travel --------------------------------------------------------------------------------------------

TEST(Wire, WhatCannotTravelIsRefusedAndTheArgumentNamed)
{
    int target = 0;
    const int32_t *const nowhere = nullptr;
    const char *const no_text = nullptr;
    struct {
        const char *what;
        spork_args args;
        spork_status status;
    } const cases[] = {
        {"a plain pointer", spork_pack(1, spork_pointer(&target)), SPORK_INVALID},
        {"a NULL string", spork_pack(1, no_text), SPORK_INVALID},
        {"bytes at NULL", spork_pack(1, spork_bytes_of(nullptr, 3)), SPORK_INVALID},
        {"an array at NULL", spork_pack(1, spork_array(nowhere, 3)), SPORK_INVALID},
        {"a struct at NULL", spork_pack(1, spork_struct(nowhere)), SPORK_INVALID},
        {"an array beyond 2^48", spork_pack(1, spork_array(table, uint64_t{1} << 47)), SPORK_TOO_LARGE},
        {"a count whose bytes wrap to 0", spork_pack(1, spork_array(table, uint64_t{1} << 62)), SPORK_TOO_LARGE},
        {"the highest count", spork_pack(1, spork_array(table, UINT64_MAX)), SPORK_TOO_LARGE},
        {"bytes whose padding wraps", spork_pack(1, spork_bytes_of(table, SIZE_MAX - 3)), SPORK_TOO_LARGE},
    };
    for (const auto &c : cases) {
        SCOPED_TRACE(c.what);
        size_t size = 77;
        EXPECT_EQ(c.status, spork__values_size(&c.args, &size));
        EXPECT_EQ(77u, size);
        EXPECT_NE(nullptr, std::strstr(spork_error(), "argument 2")) << spork_error();
        Block room(Bytes(256, 0xEE));
        EXPECT_EQ(c.status, spork__values_encode(&c.args, room.data(), room.size()));
        EXPECT_EQ(0xEE, room.data()[0]);
    }
}

TEST(Wire, PacksThatAreTogetherTooLargeAreRefused)
{
    // each within 2^48, and never read: refused by their sizes alone
    const uint64_t half = uint64_t{1} << 47;
    const spork_args args = spork_pack(spork_bytes_of(table, half), spork_bytes_of(table, half));
    size_t size = 77;
    EXPECT_EQ(SPORK_TOO_LARGE, spork__values_size(&args, &size));
    EXPECT_EQ(77u, size);
}

TEST(Wire, NullArgsAndSeventeenValuesAreRefused)
{
    size_t size = 77;
    EXPECT_EQ(SPORK_INVALID, spork__values_size(nullptr, &size));
    spork_args args = samples().back();
    args.count = 17;
    EXPECT_EQ(SPORK_INVALID, spork__values_size(&args, &size));
    EXPECT_EQ(77u, size);
}

// ---- what decode refuses -------------------------------------------------------------------------------------------

TEST(Wire, EveryPrefixIsRefused)
{
    for (const spork_args &packed : samples()) {
        const Bytes whole = encode(packed);
        for (size_t length = 0; length < whole.size(); length++) {
            Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
            ASSERT_EQ("", not_refused(cut)) << length << " of " << whole.size() << " bytes";
            if (length < header_size) continue;
            put_total(cut, length); // a header that agrees makes it no better
            ASSERT_EQ("", not_refused(cut)) << length << " of " << whole.size() << " bytes, with that total";
        }
    }
}

TEST(Wire, BytesBehindTheEndAreRefused)
{
    for (const spork_args &packed : samples()) {
        for (size_t more = 1; more <= 32; more++) {
            Bytes longer = encode(packed);
            longer.resize(longer.size() + more, 0);
            ASSERT_EQ("", not_refused(longer)) << more;
            put_total(longer, longer.size());
            ASSERT_EQ("", not_refused(longer)) << more << ", with that total";
        }
    }
}

TEST(Wire, EveryChangedByteIsRefusedOrGivesArgsThatCanBeWalked)
{
    const bool thorough = harness_full();
    size_t accepted_count = 0;
    for (const spork_args &packed : samples()) {
        const Bytes whole = encode(packed);
        for (size_t at = 0; at < whole.size(); at++) {
            for (unsigned change = 1; change < 256; change++) {
                if (!thorough && (change & (change - 1)) != 0 && change != 255) continue; // single bits, and all
                Bytes changed = whole;
                changed[at] = static_cast<unsigned char>(changed[at] ^ change);
                bool accepted = false;
                ASSERT_EQ("", not_refused_nor_sound(changed, &accepted)) << "byte " << at << " ^ " << change;
                if (accepted) accepted_count++;
                ASSERT_FALSE(accepted && at < header_size) << "header byte " << at << " ^ " << change;
            }
        }
    }
    EXPECT_GT(accepted_count, 0u) << "another letter in a text is a message too";
}

TEST(Wire, CountsAndUnitsThatOverflowAreRefused)
{
    const uint64_t top = uint64_t{1} << 63;
    for (uint16_t kind : {text_kind, bytes_kind}) {
        for (uint64_t count : {top, top - 1, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 15, UINT64_MAX - 16,
                               (uint64_t{1} << 48) + 1, uint64_t{1} << 48, uint64_t{17}})
            EXPECT_BROKEN(message({{kind, 0, 1, count}}, {std::string(16, '\0')})) << kind << " " << count;
    }
    for (uint32_t unit : {1u, 2u, 8u, 16u, 0x10000u, 0x80000000u, 0xffffffffu}) {
        for (uint64_t count : {top, top / 2, uint64_t{1} << 60, uint64_t{1} << 48, uint64_t{1} << 32,
                               (uint64_t{1} << 32) + 1, UINT64_MAX, UINT64_MAX / unit, UINT64_MAX / unit - 1}) {
            EXPECT_BROKEN(message({{array_kind, 0, unit, count}})) << unit << " * " << count;
            EXPECT_BROKEN(message({{array_kind, 0, unit, count}}, {std::string(16, '\0')})) << unit << " * " << count;
        }
        EXPECT_BROKEN(message({{struct_kind, 0, unit, 1}},
                              unit > 16 ? std::vector<std::string>{"too short"} : std::vector<std::string>{}))
            << unit;
    }
    // each fits, together they wrap
    EXPECT_BROKEN(message({{bytes_kind, 0, 1, top}, {bytes_kind, 0, 1, top}}));
    EXPECT_BROKEN(message({{array_kind, 0, 16, uint64_t{1} << 59}, {array_kind, 0, 16, uint64_t{1} << 59}}));
}

TEST(Wire, UnitsThatTheKindDoesNotHaveAreRefused)
{
    EXPECT_BROKEN(message({{int_kind, 0, 1, 5}}));
    EXPECT_BROKEN(message({{uint_kind, 0, 8, 5}}));
    EXPECT_BROKEN(message({{float_kind, 0, 8, 5}}));
    EXPECT_BROKEN(message({{text_kind, 0, 0, 2}}, {"hi"}));
    EXPECT_BROKEN(message({{text_kind, 0, 2, 2}}, {"hi"}));
    EXPECT_BROKEN(message({{bytes_kind, 0, 0, 2}}, {"hi"}));
    EXPECT_BROKEN(message({{bytes_kind, 0, 2, 2}}, {"hi"}));
    EXPECT_BROKEN(message({{struct_kind, 0, 0, 1}}));
    EXPECT_BROKEN(message({{struct_kind, 0, 2, 0}}));
    EXPECT_BROKEN(message({{struct_kind, 0, 1, 2}}, {"hi"}));
    EXPECT_BROKEN(message({{array_kind, 0, 0, 0}}));
    EXPECT_BROKEN(message({{array_kind, 0, 0, 2}}));
}

TEST(Wire, UnknownKindsAndFlagsAreRefused)
{
    for (uint32_t kind = 0; kind <= 0xffff; kind += kind < 300 ? 1 : 251) {
        if (kind >= int_kind && kind <= array_kind) continue;
        EXPECT_BROKEN(message({{static_cast<uint16_t>(kind), 0, 0, 0}})) << kind;
        EXPECT_BROKEN(message({{static_cast<uint16_t>(kind), 0, 1, 1}}, {std::string(16, '\0')})) << kind;
    }
    for (uint16_t flags : {uint16_t{1}, uint16_t{2}, uint16_t{0x8000}}) {
        EXPECT_BROKEN(message({{int_kind, flags, 0, 5}})) << flags;
        EXPECT_BROKEN(message({{text_kind, flags, 1, 2}}, {"hi"})) << flags;
    }
}

TEST(Wire, ATextWithoutItsNulOrWithOneInsideIsRefused)
{
    const std::string sixteen(16, 'x');
    EXPECT_BROKEN(message({{text_kind, 0, 1, 15}}, {sixteen}));
    EXPECT_BROKEN(message({{text_kind, 0, 1, 16}}, {sixteen})) << "its NUL would lie behind the end";
    EXPECT_BROKEN(message({{text_kind, 0, 1, 3}}, {std::string("a\0c", 3)}));
    EXPECT_BROKEN(message({{text_kind, 0, 1, 3}}, {std::string("ab", 2)})) << "ends early";
    EXPECT_BROKEN(message({{text_kind, 0, 1, 3}}, {std::string("\0bc", 3)}));
    EXPECT_BROKEN(message({{text_kind, 0, 1, 0}}, {"x"}));
    EXPECT_BROKEN(message({{text_kind, 0, 1, 0}})) << "even an empty one has a NUL";
}

TEST(Wire, PaddingThatIsNotZeroIsRefused)
{
    const Bytes good = message({{bytes_kind, 0, 1, 5}, {text_kind, 0, 1, 4}, {array_kind, 0, 4, 3}},
                               {"12345", "text", "abcdefghijkl"});
    bool accepted = false;
    EXPECT_EQ("", not_refused_nor_sound(good, &accepted));
    ASSERT_TRUE(accepted) << spork_error();
    const size_t payloads = header_size + 3 * sizeof(Entry);
    for (size_t at = 0; at < 48; at++) {
        const size_t used[3] = {5, 5, 12};
        Bytes dirty = good;
        dirty[payloads + at] = 1;
        if (at % 16 >= used[at / 16]) {
            EXPECT_BROKEN(dirty) << at;
        }
    }
}

TEST(Wire, AWrongMagicAWrongTotalAndAWrongCountAreRefused)
{
    const Bytes good = message({{int_kind, 0, 0, 5}, {int_kind, 0, 0, 6}});
    for (const char *magic : {"SPV0", "SPV2", "1VPS", "spv1"}) {
        Bytes bytes = good;
        std::memcpy(bytes.data(), magic, 4);
        EXPECT_BROKEN(bytes) << magic;
    }
    for (uint64_t total : {uint64_t{0}, uint64_t{16}, uint64_t{47}, uint64_t{49}, uint64_t{64}, uint64_t{1} << 63,
                           UINT64_MAX, (uint64_t{1} << 32) + 48}) {
        Bytes bytes = good;
        put_total(bytes, total);
        EXPECT_BROKEN(bytes) << total;
    }
    for (uint32_t count : {0u, 1u, 3u, 16u, 17u, 0x10000002u, 0x80000000u, 0xffffffffu}) {
        Bytes bytes = good;
        put_count(bytes, count);
        EXPECT_BROKEN(bytes) << count;
    }
}

TEST(Wire, SixteenValuesArriveAndSeventeenAreRefused)
{
    bool accepted = false;
    EXPECT_EQ("", not_refused_nor_sound(message(std::vector<Entry>(16, {int_kind, 0, 0, 1})), &accepted));
    EXPECT_TRUE(accepted);
    EXPECT_BROKEN(message(std::vector<Entry>(17, {int_kind, 0, 0, 1})));
}

TEST(Wire, AMisalignedBufferAndNullAreRefused)
{
    const Bytes good = encode(samples().back());
    for (size_t shift = 1; shift < 16; shift++) {
        Block block(good, shift);
        spork_args args = untouched_args();
        EXPECT_EQ(SPORK_BAD_MESSAGE, spork__values_decode(block.data(), block.size(), &args)) << shift;
        EXPECT_EQ(77u, args.count);
    }
    spork_args args = untouched_args();
    EXPECT_EQ(SPORK_BAD_MESSAGE, spork__values_decode(nullptr, 0, &args));
    EXPECT_EQ(SPORK_BAD_MESSAGE, spork__values_decode(nullptr, 64, &args));
}

TEST(Wire, AnEmptyRunAtTheEndOfAMessageIsNeverReadAsAText)
{
    for (const Bytes &bytes : {message({{bytes_kind, 0, 1, 0}}), message({{array_kind, 0, 1, 0}})}) {
        Block block(bytes);
        spork_args args = untouched_args();
        ASSERT_EQ(SPORK_OK, spork__values_decode(block.data(), block.size(), &args));
        char buffer[8] = "old";
        const char *text = "old";
        EXPECT_EQ(SPORK_INVALID, spork_unpack(&args, spork_text_into(buffer, sizeof buffer)));
        EXPECT_EQ(SPORK_INVALID, spork_unpack(&args, &text));
        EXPECT_STREQ("old", buffer);
    }
}

TEST(Wire, RandomBytesAreRefusedOrGiveArgsThatCanBeWalked)
{
    std::mt19937_64 random(seed());
    auto below = [&](uint64_t n) { return random() % n; };
    const uint64_t odd_counts[] = {UINT64_MAX, uint64_t{1} << 63, uint64_t{1} << 60, uint64_t{1} << 48,
                                   uint64_t{1} << 32};
    const uint32_t units[] = {0, 1, 2, 4, 8, 16, 24, 0xffffffff};
    size_t accepted_count = 0;
    int rounds = 0;
    for (int round : repeat(200000, 4, 2)) {
        rounds = round + 1;
        Bytes bytes;
        if (below(4) == 0) { // noise
            bytes.resize(below(400));
            for (unsigned char &byte : bytes) byte = static_cast<unsigned char>(random());
        } else { // nearly a message
            std::vector<Entry> entries(below(30) == 0 ? 17 : below(5));
            std::vector<std::string> payloads;
            for (Entry &entry : entries) {
                entry.kind = static_cast<uint16_t>(below(20) == 0 ? below(20) : 1 + below(7));
                entry.flags = below(50) == 0;
                entry.value = below(30) == 0 ? odd_counts[below(5)] : entry.kind == struct_kind ? 1 : below(20);
                entry.unit = below(20) == 0 || entry.kind >= struct_kind ? units[below(8)]
                             : entry.kind >= text_kind                   ? 1
                                                                         : 0;
                if (entry.kind < text_kind || entry.value > 40 || entry.unit > 40) continue;
                std::string payload(entry.value * entry.unit, 'x');
                for (char &c : payload) c = static_cast<char>('a' + below(26));
                if (entry.kind == text_kind) payload.push_back('\0');
                payloads.push_back(payload);
            }
            bytes = message(entries, payloads);
            for (uint64_t hits = below(3); hits > 0 && below(2) == 0; hits--)
                bytes[below(bytes.size())] = static_cast<unsigned char>(random());
        }
        bool accepted = false;
        ASSERT_EQ("", not_refused_nor_sound(bytes, &accepted)) << "round " << round;
        accepted_count += accepted;
    }
    if (rounds >= 1000) {
        EXPECT_GT(accepted_count, 0u);
        EXPECT_LT(accepted_count, static_cast<size_t>(rounds));
    }
}

// ---- deep copies ---------------------------------------------------------------------------------------------------

TEST(Wire, ACopyOutlivesWhatItWasMadeOf)
{
    for (const spork_args &packed : samples()) {
        spork_args *copy = nullptr;
        const Bytes expected = encode(packed);
        {
            // decoded from a block that is gone when the copy is read
            Block block(expected);
            spork_args args = untouched_args();
            ASSERT_EQ(SPORK_OK, spork__values_decode(block.data(), block.size(), &args));
            ASSERT_EQ(SPORK_OK, spork__values_copy(&args, &copy)) << spork_error();
            std::memset(block.data(), 0xDD, block.size());
        }
        ASSERT_NE(nullptr, copy);
        EXPECT_EQ(expected, encode(*copy));
        spork__values_free_copy(copy);
    }
}

TEST(Wire, ACopyTakesStringsAndArraysAlongAndAlignsThem)
{
    std::string name = "a name that is long enough to live on the heap";
    std::vector<double> numbers = {1, 2, 3};
    spork_args *copy = nullptr;
    const spork_args packed =
        spork_pack(name.c_str(), "x", spork_array(numbers.data(), numbers.size()), spork_bytes_of("y", 1));
    ASSERT_EQ(SPORK_OK, spork__values_copy(&packed, &copy)) << spork_error();
    name.assign(name.size(), '#');
    numbers.assign(3, 0);
    const char *got_name = nullptr, *x = nullptr;
    const double *got = nullptr;
    size_t count = 0;
    spork_bytes y = {nullptr, 0};
    EXPECT_EQ(SPORK_OK, spork_unpack(copy, &got_name, &x, spork_array_into(&got, &count), &y)) << spork_error();
    EXPECT_STREQ("a name that is long enough to live on the heap", got_name);
    ASSERT_EQ(3u, count);
    EXPECT_EQ(3.0, got[2]);
    for (const spork_item &item : {copy->items[0], copy->items[1], copy->items[2], copy->items[3]})
        EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(item.as.p) % 16);
    spork__values_free_copy(copy);
}

TEST(Wire, ACopyKeepsPlainPointersForThreads)
{
    int target = 0, *got = nullptr;
    spork_args *copy = nullptr;
    const spork_args packed = spork_pack(spork_pointer(&target));
    ASSERT_EQ(SPORK_OK, spork__values_copy(&packed, &copy)) << spork_error();
    EXPECT_EQ(SPORK_OK, spork_unpack(copy, spork_pointer_into(&got)));
    EXPECT_EQ(&target, got);
    spork__values_free_copy(copy);
}

TEST(Wire, WhatCannotBeCopiedIsRefusedAndNothingIsHeld)
{
    const char *const no_text = nullptr;
    const int32_t *const nowhere = nullptr;
    spork_args seventeen = samples().back();
    seventeen.count = 17;
    const long before = spork__allocated();
    for (const spork_args &args :
         {spork_pack(1, no_text), spork_pack(1, spork_array(nowhere, 3)), spork_pack(1, spork_struct(nowhere)),
          spork_pack(1, spork_bytes_of(nullptr, 3)), spork_pack(1, spork_array(table, uint64_t{1} << 62)), seventeen}) {
        spork_args *copy = nullptr;
        EXPECT_NE(SPORK_OK, spork__values_copy(&args, &copy));
        EXPECT_EQ(nullptr, copy);
    }
    spork_args *copy = nullptr;
    EXPECT_EQ(SPORK_INVALID, spork__values_copy(nullptr, &copy));
    EXPECT_EQ(before, spork__allocated());
    spork__values_free_copy(nullptr);
}

#if SPORK_FAULTS
TEST(Wire, NoMemoryForACopyIsSaidAndNothingIsHeld)
{
    const long before = spork__allocated();
    spork_args *copy = nullptr;
    const spork_args packed = spork_pack("text", spork_array(table, 5));
    spork__fault_arm(SPORK__FAULT_ALLOC, 1, 0, false);
    EXPECT_EQ(SPORK_NO_MEMORY, spork__values_copy(&packed, &copy));
    spork__fault_arm(SPORK__FAULT_ALLOC, 0, 0, false);
    EXPECT_EQ(nullptr, copy);
    EXPECT_EQ(before, spork__allocated());
}
#endif
