// Objects on their way, with something broken on it: what was not a parcel of ours is refused with a sentence, or is an object that can
// be used and freed; nothing is lost on the way.
#include <cstring>

#include "alloc.h"
#include "child.h"
#include "fault.h"
#include "object.h"
#include "platform.h"

namespace {

spork__parcel parcel_of(const spork__kind *kind, spork__object *object)
{
    spork__parcel parcel = {};
    EXPECT_EQ(SPORK_OK, kind->give(object, 0, &parcel)) << spork_error();
    for (size_t i = 0; i < parcel.handle_count; i++) parcel.handles[i] = harness_copy(parcel.handles[i]);
    return parcel;
}

// Takes the parcel after `damage`. Freed is whatever came of it.
template <class Damage> void take_damaged(const spork__kind *kind, spork__object *object, Damage damage)
{
    spork__parcel parcel = parcel_of(kind, object);
    const spork__parcel whole = parcel;
    damage(parcel);
    const size_t described = parcel.handle_count;
    spork__object *made = nullptr;
    spork_status status = kind->take(&parcel, &made);
    ASSERT_EQ(status == SPORK_OK, made != nullptr);
    if (made != nullptr) {
        ASSERT_EQ(kind, made->kind);
        kind->release(made);
    } else {
        EXPECT_STRNE("", spork_error());
    }
    // A failure leaves the handles to the caller; and an object has those that it was told of.
    for (size_t i = made != nullptr ? described : 0; i < whole.handle_count; i++)
        spork__os_handle_close(whole.handles[i]);
}

class Parcel : public testing::Test {
  protected:
    void expect_nothing_lost(const spork__kind *kind, spork__object *object)
    {
        take_damaged(kind, object, [](spork__parcel &) {}); // what is made once is made
        const long blocks = spork__allocated();
        const int descriptors = harness_descriptors(nullptr, 0), mappings = harness_mappings();
        const spork__parcel whole = parcel_of(kind, object);
        for (size_t i = 0; i < whole.handle_count; i++) spork__os_handle_close(whole.handles[i]);
        for (size_t size = 0; size <= SPORK__PARCEL_BYTES; size++)
            take_damaged(kind, object, [size](spork__parcel &p) { p.size = size; });
        for (size_t count = 0; count < whole.handle_count; count++)
            take_damaged(kind, object, [count](spork__parcel &p) { p.handle_count = count; });
        for (size_t at = 0; at < whole.size; at++)
            for (unsigned value : {0x00u, 0x01u, 0x7Fu, 0x80u, 0xFFu, whole.bytes[at] ^ 0x04u, whole.bytes[at] + 1u})
                take_damaged(kind, object,
                             [at, value](spork__parcel &p) { p.bytes[at] = static_cast<unsigned char>(value); });
        EXPECT_EQ(descriptors, harness_descriptors(nullptr, 0));
        EXPECT_EQ(mappings, harness_mappings());
        EXPECT_EQ(blocks, spork__allocated());
    }
};

TEST_F(Parcel, OfAConnectionDamaged)
{
    for (bool duplex : {false, true}) {
        spork_connection *a, *b;
        ASSERT_EQ(SPORK_OK, duplex ? spork_pipe_duplex(&a, &b) : spork_pipe(&a, &b)) << spork_error();
        for (spork_connection *end : {a, b}) {
            auto *object = reinterpret_cast<spork__object *>(end);
            expect_nothing_lost(object->kind, object);
        }
        // The copies spoke for nobody: the line is as it was.
        ASSERT_EQ(SPORK_OK, spork_connection_send(b, spork_pack(7), kWatchdogMs)) << spork_error();
        spork_args *message;
        ASSERT_EQ(SPORK_OK, spork_connection_recv(a, &message, kWatchdogMs)) << spork_error();
        spork_args_free(message);
        spork_connection_free(a);
        spork_connection_free(b);
    }
}

TEST_F(Parcel, OfAQueueDamaged)
{
    spork_queue *queue = spork_queue_new(0, 8 << 20);
    ASSERT_NE(nullptr, queue) << spork_error();
    auto *object = reinterpret_cast<spork__object *>(queue);
    expect_nothing_lost(object->kind, object);
    ASSERT_EQ(SPORK_OK, spork_queue_put(queue, spork_pack(7), 0)) << spork_error();
    spork_args *message;
    ASSERT_EQ(SPORK_OK, spork_queue_get(queue, &message, 0)) << spork_error();
    spork_args_free(message);
    spork_queue_free(queue);
}

} // namespace
