#include "events/canonical.hpp"

#include <gtest/gtest.h>

#include "events/time.hpp"

namespace millrace {
namespace {

constexpr auto kId = "7d9f1c1e-3b1a-4c57-9a5e-0f6d2d6a7b10";

std::string canonical(std::string_view text) {
    const auto event = canonical_event(text, kId, *parse_time("2026-11-23T09:00:00.5Z"));
    return event ? *event : "error: " + event.error().message;
}

TEST(canonical_event, sets_what_is_missing_and_keeps_the_rest_byte_for_byte) {
    EXPECT_EQ(canonical(R"( { "task_id" : "42", "price":1.10, "n":123456789012345678901 })"),
              R"({"event_id":"7d9f1c1e-3b1a-4c57-9a5e-0f6d2d6a7b10","schema_version":1,)"
              R"("timestamp":"2026-11-23T09:00:00.5Z", "task_id" : "42", "price":1.10, )"
              R"("n":123456789012345678901 })");
    EXPECT_EQ(canonical("{}"),
              R"({"event_id":"7d9f1c1e-3b1a-4c57-9a5e-0f6d2d6a7b10","schema_version":1,)"
              R"("timestamp":"2026-11-23T09:00:00.5Z"})");
}

TEST(canonical_event, leaves_a_member_that_was_given) {
    const std::string full =
        R"({"event_id":"x","schema_version":2,"timestamp":"2026-01-01T00:00:00Z"})";
    EXPECT_EQ(canonical(full), full);
    EXPECT_EQ(canonical(R"({"schema_version":3,"event_id":"y"})"),
              R"({"timestamp":"2026-11-23T09:00:00.5Z","schema_version":3,"event_id":"y"})");
}

TEST(canonical_event, takes_null_for_missing_without_writing_a_member_twice) {
    EXPECT_EQ(canonical(R"({"event_id":null,"a":1,"timestamp":null})"),
              R"({"event_id":"7d9f1c1e-3b1a-4c57-9a5e-0f6d2d6a7b10","a":1,)"
              R"("timestamp":"2026-11-23T09:00:00.5Z","schema_version":1})");
}

TEST(canonical_event, refuses_what_is_not_a_json_object) {
    EXPECT_EQ(canonical("[]"), "error: the event to publish is an array, not a JSON object");
    EXPECT_EQ(canonical(""), "error: the event to publish is empty");
    EXPECT_EQ(canonical("{\"a\":1e999}"),
              "error: the event to publish has a number that is too large to be finite");
    EXPECT_TRUE(canonical("{\"a\":}").starts_with("error: the event to publish is not JSON: "));
}

}  // namespace
}  // namespace millrace
