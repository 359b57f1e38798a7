#include <gtest/gtest.h>

#include "reading.hpp"

namespace millrace::testing {
namespace {

constexpr auto kUuid = "93a6c4d2-8b1a-4c57-9a5e-0f6d2d6a7b13";

struct Place {
    std::string topic = "task-events";
    int partition = 0;
    std::int64_t offset = 0;
    std::int64_t time_ms = 1'770'710'400'000;
};

DecodedBatchPtr decode_at(const Place& place, const std::string& value) {
    auto memory = std::make_shared<std::string>(value);
    auto batch = std::make_shared<RecordBatch>();
    batch->origin = {place.topic, Partition{place.partition}};
    batch->records.push_back(
        {Offset{place.offset}, from_epoch_ms(place.time_ms), {}, std::string_view(*memory), {}});
    batch->memory = memory;
    return shipped_reader().decode(batch);
}

Identity identity(const Place& place, const std::string& value) {
    return decode_at(place, value)->events.front().identity;
}

std::string effective_id(const Place& place, const std::string& value) {
    return std::string(decode_at(place, value)->events.front().effective_id);
}

TEST(identity, an_id_in_uuid_form_stands_alone_within_its_topic) {
    const std::string first = fmt::format(R"({{"event_id":"{}","task_id":1}})", kUuid);
    const std::string again = fmt::format(R"({{"task_id":1,"event_id":"{}","x":2}})", kUuid);
    EXPECT_EQ(identity({}, first), identity({.partition = 3, .offset = 9}, again));
    EXPECT_NE(identity({}, first), identity({.topic = "reminders"}, first));
    EXPECT_EQ(identity({}, first),
              identity({}, R"({"task_id":1,"event_id":"93A6C4D2-8B1A-4C57-9A5E-0F6D2D6A7B13"})"));
}

TEST(identity, another_id_counts_together_with_type_time_and_value) {
    const std::string created = R"({"event_id":"31","event_type":"created","task_id":"31"})";
    const std::string deleted = R"({"event_id":"31","event_type":"deleted","task_id":"31"})";
    EXPECT_EQ(identity({}, created), identity({.partition = 1, .offset = 5}, created));
    EXPECT_NE(identity({}, created), identity({}, deleted));
    EXPECT_NE(identity({}, created),
              identity({}, R"({"event_id":"31","event_type":"created","task_id":"31","x":1})"));
}

TEST(identity, an_id_equal_to_the_task_id_does_not_stand_alone) {
    const auto event = [](std::string_view type) {
        return fmt::format(R"({{"event_id":"{}","task_id":"{}","event_type":"{}"}})", kUuid, kUuid,
                           type);
    };
    EXPECT_NE(identity({}, event("created")), identity({}, event("completed")));
}

TEST(identity, without_an_id_the_place_in_the_log_counts) {
    const std::string value = R"({"event_type":"created"})";
    EXPECT_EQ(identity({}, value), identity({}, R"({"event_type":"deleted"})"));
    EXPECT_NE(identity({}, value), identity({.topic = "reminders"}, value));
    EXPECT_NE(identity({}, value), identity({.partition = 1}, value));
    EXPECT_NE(identity({}, value), identity({.offset = 1}, value));
    EXPECT_NE(identity({}, value), identity({.time_ms = 1'770'710'400'001}, value));
}

TEST(identity, of_an_event_in_a_wrapper_does_not_see_the_wrapper) {
    const auto wrapped = [](std::string_view id) {
        return fmt::format(R"({{"specversion":"1.0","id":"{}","type":"com.dapr.event.sent",
                               "data":{{"event_id":"31","task_id":"31"}}}})",
                           id);
    };
    EXPECT_EQ(identity({}, wrapped("a")), identity({}, wrapped("b")));
}

TEST(effective_id, is_the_one_sent_or_one_in_uuid_form_that_a_replay_derives_again) {
    EXPECT_EQ(effective_id({}, R"({"event_id":"31"})"), "31");
    const std::string derived = effective_id({.offset = 4}, "{}");
    EXPECT_TRUE(is_uuid(derived)) << derived;
    EXPECT_EQ(derived, effective_id({.offset = 4}, "{}"));
    EXPECT_NE(derived, effective_id({.offset = 5}, "{}"));
    EXPECT_EQ(effective_id({.offset = 6}, "not json"), effective_id({.offset = 6}, "{}"));
}

// State files hold these: a change makes every old record a new one.
TEST(identity, never_changes) {
    EXPECT_EQ(effective_id({}, "{}"), "074f9749-a7b4-4dbf-9b75-ee3e391718b9");
    const auto pinned = [](const std::string& value) { return to_uuid(identity({}, value)); };
    EXPECT_EQ(pinned(fmt::format(R"({{"event_id":"{}"}})", kUuid)),
              "3c8abcfe-f621-4e64-b686-c7f8056b9c19");
    EXPECT_EQ(pinned(R"({"event_id":"31","event_type":"a.b","timestamp":"2026-02-10"})"),
              "49e0b8ff-14f0-431c-9b98-168d84b12f9c");
}

}  // namespace
}  // namespace millrace::testing
