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
    spork_status status = kind->take(kind, &parcel, &made);
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

// Other tests may run at the same time.
const char *name()
{
    static char text[32];
    snprintf(text, sizeof text, "parcel-%d", spork_getpid());
    return text;
}

// What sync.h and shm.h make: each constructor, its release and a use that shows that it works.
struct Maker {
    const char *name;
    void *(*make)();
    bool (*use)(void *object);
};

const Maker makers[] = {
    {"Lock", []() -> void * { return spork_lock_new(); },
     [](void *o) {
         auto *lock = static_cast<spork_lock *>(o);
         return spork_lock_acquire(lock, 0) == SPORK_OK && spork_lock_release(lock) == SPORK_OK;
     }},
    {"RLock", []() -> void * { return spork_rlock_new(); },
     [](void *o) {
         auto *lock = static_cast<spork_rlock *>(o);
         return spork_rlock_acquire(lock, 0) == SPORK_OK && spork_rlock_release(lock) == SPORK_OK;
     }},
    {"Counter", []() -> void * { return spork_semaphore_new(1, 0); },
     [](void *o) {
         auto *counter = static_cast<spork_semaphore *>(o);
         return spork_semaphore_acquire(counter, 0) == SPORK_OK && spork_semaphore_release(counter) == SPORK_OK;
     }},
    {"Permits", []() -> void * { return spork_semaphore_new(1, 2); },
     [](void *o) {
         auto *permits = static_cast<spork_semaphore *>(o);
         return spork_semaphore_acquire(permits, 0) == SPORK_OK && spork_semaphore_release(permits) == SPORK_OK;
     }},
    {"Event", []() -> void * { return spork_event_new(); },
     [](void *o) {
         auto *event = static_cast<spork_event *>(o);
         return spork_event_set(event) == SPORK_OK && spork_event_wait(event, 0) == SPORK_OK;
     }},
    {"Condition", []() -> void * { return spork_condition_new(); },
     [](void *o) {
         auto *condition = static_cast<spork_condition *>(o);
         return spork_condition_acquire(condition, 0) == SPORK_OK &&
                spork_condition_wait(condition, 1) == SPORK_TIMEOUT && spork_condition_release(condition) == SPORK_OK;
     }},
    {"Barrier", []() -> void * { return spork_barrier_new(1); },
     [](void *o) { return spork_barrier_wait(static_cast<spork_barrier *>(o), nullptr, 0) == SPORK_OK; }},
    {"Shm", []() -> void * { return spork_shm_new(5000); },
     [](void *o) {
         memset(spork_shm_data(static_cast<spork_shm *>(o)), 1, 5000);
         return true;
     }},
    {"NamedShm", []() -> void * { return spork_shm_create(name(), 5000, SPORK_CREATOR); },
     [](void *o) {
         spork_shm *opened = spork_shm_open(name());
         bool found = opened != nullptr;
         spork_shm_free(opened);
         memset(spork_shm_data(static_cast<spork_shm *>(o)), 1, 5000);
         return found;
     }},
    {"LastingShm", []() -> void * { return spork_shm_create(name(), 5000, SPORK_MANUAL); },
     [](void *o) {
         memset(spork_shm_data(static_cast<spork_shm *>(o)), 1, 5000);
         return true;
     }},
};

class Made : public Parcel, public testing::WithParamInterface<Maker> {
  protected:
    static void release(void *made)
    {
        auto *object = static_cast<spork__object *>(made);
        object->kind->release(object);
        spork_shm_remove(name());
    }
};

TEST_P(Made, AndDamagedOnItsWay)
{
    void *made = GetParam().make();
    ASSERT_NE(nullptr, made) << spork_error();
    auto *object = static_cast<spork__object *>(made);
    expect_nothing_lost(object->kind, object);
    EXPECT_TRUE(GetParam().use(made)) << spork_error();
    release(made);
}

// Whatever call fails: none is made and there is a sentence, or another way was found; and nothing is left of the attempt.
TEST_P(Made, OrNotWhenACallFails)
{
    void *first = GetParam().make();
    ASSERT_NE(nullptr, first) << spork_error();
    ASSERT_TRUE(GetParam().use(first)) << spork_error();
    release(first);
    const long blocks = spork__allocated();
    const int descriptors = harness_descriptors(nullptr, 0), mappings = harness_mappings();
    for (spork__fault_door door : {SPORK__FAULT_ALLOC, SPORK__FAULT_SYSTEM}) {
        int met = 0;
        for (long nth = 1; nth < 40; nth++) {
            spork__fault_arm(door, nth, windows() ? 8 /* ERROR_NOT_ENOUGH_MEMORY */ : 12 /* ENOMEM */, false);
            void *made = GetParam().make();
            const long calls = spork__fault_count(door);
            spork__fault_arm(door, 0, 0, false);
            if (made != nullptr) {
                EXPECT_TRUE(GetParam().use(made)) << spork_error();
                release(made);
            } else {
                EXPECT_STRNE("", spork_error());
                EXPECT_NE(SPORK_EXISTS, spork_last_status()) << "an attempt left a name behind";
            }
            if (calls < nth) break;
            met++;
        }
        EXPECT_GT(met, 0);
    }
    EXPECT_EQ(descriptors, harness_descriptors(nullptr, 0));
    EXPECT_EQ(mappings, harness_mappings());
    EXPECT_EQ(blocks, spork__allocated());
}

INSTANTIATE_TEST_SUITE_P(By, Made, testing::ValuesIn(makers), [](const auto &one) { return one.param.name; });

} // namespace
