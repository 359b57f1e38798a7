#include "events/cloudevents.hpp"

#include <gtest/gtest.h>

#include "reading.hpp"

namespace millrace::testing {
namespace {

constexpr auto kTasks = "task-events";

TEST(cloudevent, its_attributes_serve_where_the_event_has_none) {
    EXPECT_EQ(read(kTasks, R"({"specversion":"1.0","id":"ce","type":"com.todo.task.completed",
        "time":"2026-02-10T08:00:00Z","source":"s","data":{"user_id":7,"task_id":8}})"),
              "completed user 7 task 8 id ce v1 at 2026-02-10T08:00:00Z");
    EXPECT_EQ(read(kTasks, R"({"specversion":"1.0","id":"ce","type":"com.todo.task.completed",
        "time":"2026-02-10T08:00:00Z","source":"s","data":{"user_id":7,"task_id":8,
        "event_id":"e","event_type":"deleted","timestamp":"2026-02-11T08:00:00Z"}})"),
              "deleted user 7 task 8 id e v1 at 2026-02-11T08:00:00Z");
}

TEST(cloudevent, the_type_of_daprs_wrapper_says_nothing) {
    EXPECT_EQ(read(kTasks, R"({"specversion":"1.0","id":"w","type":"com.dapr.event.sent",
        "time":"2026-02-10T08:00:00Z","data":{"type":"task.created","user_id":7}})"),
              "created user 7 task null id w v1 at 2026-02-10T08:00:00Z");
    EXPECT_EQ(read(kTasks, R"({"specversion":"1.0","id":"w","type":"com.dapr.event.sent",
        "data":{"user_id":7}})"),
              "null user 7 task null id w v1 at null");
}

TEST(cloudevent, may_wrap_another_and_the_inner_one_counts) {
    EXPECT_EQ(read(kTasks, R"({"specversion":"1.0","id":"outer","type":"com.dapr.event.sent",
        "time":"2026-02-10T08:00:00Z","data":{"specversion":"1.0","id":"inner",
        "type":"task.updated","data":{"user_id":7,"payload":{"id":9,"title":"T"}}}})"),
              "updated user 7 task 9 id inner v1 at 2026-02-10T08:00:00Z");
}

TEST(cloudevent, data_may_be_json_text_or_base64) {
    EXPECT_EQ(read(kTasks, R"({"specversion":"1.0","id":"c","type":"created",
        "data":"{\"user_id\":7,\"task_id\":8}"})"),
              "created user 7 task 8 id c v1 at null");
    EXPECT_EQ(read(kTasks, R"({"specversion":"1.0","id":"c","type":"created",
        "data_base64":"eyJ1c2VyX2lkIjo3LCJ0YXNrX2lkIjo4fQ=="})"),
              "created user 7 task 8 id c v1 at null");
    EXPECT_EQ(read(kTasks, R"({"specversion":"1.0","id":"c","type":"created",
        "data":"{\"specversion\":\"1.0\",\"type\":\"deleted\",\"data\":\"{\\\"user_id\\\":1}\"}"})"),
              "deleted user 1 task null id c v1 at null");
}

TEST(cloudevent, without_an_event_inside_is_itself_the_event) {
    for (const char* data :
         {"", R"(,"data":null)", R"(,"data":"text")", R"(,"data":[1])", R"(,"data_base64":"?")"}) {
        EXPECT_EQ(read(kTasks, fmt::format(R"({{"specversion":"1.0","id":"c","type":"task.deleted",
            "user_id":"u","task_id":5{}}})",
                                           data)),
                  "deleted user u task 5 id c v1 at null")
            << data;
    }
    EXPECT_EQ(read(kTasks, R"({"specversion":"1.0","id":"c","type":"deleted"})"),
              "deleted user null task null id c v1 at null");
}

TEST(cloudevent, specversion_is_not_a_schema_version) {
    EXPECT_EQ(Reading(kTasks, R"({"specversion":"2.0","type":"created","data":{}})")
                  .envelope()
                  .schema_version,
              1);
}

TEST(cloudevent, in_binary_mode_has_its_attributes_in_headers) {
    const Headers headers{{"ce_specversion", "1.0"},
                          {"ce_id", "h"},
                          {"ce_type", "com.todo.task.created"},
                          {"ce_time", "2026-02-10T08:00:00Z"},
                          {"content-type", "application/json"}};
    EXPECT_EQ(read(kTasks, R"({"user_id":7,"task_id":8})", headers),
              "created user 7 task 8 id h v1 at 2026-02-10T08:00:00Z");
    EXPECT_EQ(read(kTasks, R"({"user_id":7,"event_id":"e","event_type":"deleted"})", headers),
              "deleted user 7 task null id e v1 at 2026-02-10T08:00:00Z");
    EXPECT_EQ(read(kTasks, R"({"user_id":7})",
                   {{"Ce-Specversion", "1.0"}, {"Ce-Id", "x"}, {"Ce-Type", "task.updated"}}),
              "updated user 7 task null id x v1 at null");
}

TEST(cloudevent, headers_without_a_specversion_are_none) {
    EXPECT_EQ(read(kTasks, R"({"user_id":7})", {{"ce_id", "h"}, {"ce_type", "created"}}),
              "null user 7 task null id null v1 at null");
    EXPECT_EQ(read(kTasks, R"({"user_id":7})", {{"ce_specversion", "1.0"}, {"ce_id", "\xff"}}),
              "null user 7 task null id null v1 at null");
}

TEST(cloudevent, nesting_has_a_bound) {
    const auto nested = [](int levels) {
        std::string value = R"({"event_type":"deep"})";
        for (; levels > 0; --levels) value = R"({"specversion":"1.0","data":)" + value + "}";
        return std::string(Reading(kTasks, value).envelope().event_type);
    };
    EXPECT_EQ(nested(4), "deep");
    EXPECT_EQ(nested(6), "");
}

}  // namespace
}  // namespace millrace::testing
