#include "events/envelope.hpp"

#include <gtest/gtest.h>

#include "reading.hpp"

namespace millrace::testing {
namespace {

constexpr auto kTasks = "task-events";
constexpr auto kReminders = "reminders";

TEST(envelope, spellings_of_a_type_mean_the_same) {
    for (const char* type :
         {"task.completed", "completed", "com.todo.task.completed", "todo.completed",
          "TASK.COMPLETED", "Task_Completed", "com.todo.task.completed.v1", "task:complete"}) {
        const Reading reading(kTasks, fmt::format(R"({{"event_type":"{}"}})", type));
        EXPECT_EQ(reading.envelope().event_type, "completed") << type;
        EXPECT_EQ(reading.envelope().full_type, type);
    }
}

TEST(envelope, the_type_is_found_where_producers_put_it) {
    EXPECT_EQ(read(kTasks, R"({"metadata":{"event_type":"task.created","event_id":"e","timestamp":
                              "2026-02-10T08:00:00","schema_version":"1.0"},
                              "payload":{"user_id":1,"id":2}})"),
              "created user 1 task 2 id e v1 at 2026-02-10T08:00:00Z");
    EXPECT_EQ(read(kTasks, R"({"eventType":"updated","userId":"u","taskId":3})"),
              "updated user u task 3 id null v1 at null");
    EXPECT_EQ(read(kTasks, R"({"event":"task.deleted","user_id":"u","task_id":"t"})"),
              "deleted user u task t id null v1 at null");
    EXPECT_EQ(read(kTasks, R"({"event_type":5,"type":"task.deleted"})"),
              "deleted user null task null id null v1 at null");
}

TEST(envelope, an_unknown_type_is_readable_and_stays_as_it_is) {
    EXPECT_EQ(read(kTasks, R"({"event_type":"task.Archived","user_id":1})"),
              "archived user 1 task null id null v1 at null");
    EXPECT_EQ(read(kTasks, "{}"), "null user null task null id null v1 at null");
}

TEST(envelope, the_task_id_lies_at_the_top_in_the_body_or_is_an_entity) {
    EXPECT_EQ(Reading(kTasks, R"({"aggregate_id":7})").envelope().task_id, "7");
    EXPECT_EQ(Reading(kTasks, R"({"entity_id":"x","entity_type":"task"})").envelope().task_id, "x");
    EXPECT_EQ(Reading(kTasks, R"({"data":{"id":9,"title":"a"}})").envelope().task_id, "9");
    EXPECT_EQ(Reading(kTasks, R"({"payload":{"task":{"id":9,"user_id":4}}})").envelope().task_id,
              "9");
    EXPECT_EQ(
        Reading(kTasks, R"({"id":5,"title":"flat","event_type":"created"})").envelope().task_id,
        "5");
    EXPECT_EQ(Reading(kTasks, R"({"task_id":null,"data":{"task_id":6}})").envelope().task_id, "6");
}

TEST(envelope, an_idempotency_key_serves_as_event_id_where_there_is_none) {
    EXPECT_EQ(Reading(kTasks, R"({"idempotency_key":"k","event_id":"e"})").envelope().event_id,
              "e");
    EXPECT_EQ(Reading(kTasks, R"({"idempotency_key":"k"})").envelope().event_id, "k");
    EXPECT_EQ(Reading(kTasks, R"({"data":{"idempotency_key":"k"}})").envelope().event_id, "k");
    EXPECT_EQ(Reading(kTasks, "{}", {{"Idempotency-Key", "h"}}).envelope().event_id, "h");
    EXPECT_EQ(Reading(kTasks, R"({"event_id":""})", {{"idempotency-key", "h"}}).envelope().event_id,
              "h");
}

TEST(envelope, version_1_has_many_spellings_and_none_is_version_1) {
    for (const char* version :
         {R"("schema_version":1)", R"("schema_version":"1")", R"("schema_version":"1.0")",
          R"("schema_version":"1.0.0")", R"("schema_version":1.0)", R"("version":"1.0")",
          R"("metadata":{"schema_version":"1.0"})", R"("schema_version":null)",
          R"("schema_version":"")", R"("version":17)", R"("version":"17")", R"("version":2)"}) {
        const Reading reading(kTasks, fmt::format("{{{}}}", version));
        EXPECT_EQ(reading.event().status, EventStatus::kReadable) << version;
        EXPECT_EQ(reading.envelope().schema_version, 1) << version;
    }
}

TEST(envelope, an_unknown_version_is_told_apart_from_a_fault) {
    EXPECT_EQ(read(kTasks, R"({"schema_version":2,"user_id":1.5})"),
              "version: schema_version 2 is not known: there is no schema task-event.v2");
    EXPECT_EQ(read(kTasks, R"({"schema_version":"2.0"})"),
              "version: schema_version 2.0 is not known: there is no schema task-event.v2");
    EXPECT_EQ(read(kTasks, R"({"version":"3.1"})"),
              "version: schema_version 3.1 is not known: there is no schema task-event.v3");
    for (const char* version : {R"("latest")", "0", "-1", "\"1.x\"", "true", "{}", "[1]", "1e300",
                                "99999999999999999999", "\"1.0.0.0\"", "\"v\"", "\"+1\""}) {
        const Reading reading(kTasks, fmt::format(R"({{"schema_version":{}}})", version));
        EXPECT_EQ(reading.event().status, EventStatus::kUnknownVersion) << version;
    }
}

TEST(envelope, a_topic_without_schema_takes_any_version_that_is_one) {
    EXPECT_EQ(Reading("elsewhere", R"({"schema_version":7})").envelope().schema_version, 7);
    EXPECT_EQ(read("elsewhere", R"({"schema_version":"latest"})"),
              "version: schema_version latest is not a version (expected 1 or \"1.0\")");
}

TEST(envelope, times_come_in_many_forms) {
    const auto time = [](std::string_view text) {
        const Reading reading(kTasks, fmt::format(R"({{"timestamp":{}}})", text));
        const auto found = reading.envelope().timestamp;
        return found ? format_time(*found) : "null";
    };
    EXPECT_EQ(time(R"("2026-02-10T08:00:00.5")"), "2026-02-10T08:00:00.5Z");
    EXPECT_EQ(time(R"("2026-02-10T08:00:00+02:00")"), "2026-02-10T06:00:00Z");
    EXPECT_EQ(time(R"("2026-02-10 08:00:00")"), "2026-02-10T08:00:00Z");
    EXPECT_EQ(time(R"(" 2026-02-10T08:00:00Z ")"), "2026-02-10T08:00:00Z");
    EXPECT_EQ(time(R"("2026-02-10T08:00:00.25+00:00Z")"), "2026-02-10T08:00:00.25Z");
    EXPECT_EQ(time("1770710400"), "2026-02-10T08:00:00Z");
    EXPECT_EQ(time("1770710400.25"), "2026-02-10T08:00:00.25Z");
    EXPECT_EQ(time("1770710400250"), "2026-02-10T08:00:00.25Z");
    EXPECT_EQ(time("1770710400250000"), "2026-02-10T08:00:00.25Z");
    EXPECT_EQ(time("1770710400250000000"), "2026-02-10T08:00:00.25Z");
    EXPECT_EQ(time("\"1770710400.5\""), "2026-02-10T08:00:00.5Z");
    for (const char* none : {"\"\"", "null", "\"soon\"", "0", "-5", "12", "1e300", "true", "{}",
                             "[]", "\"2026-02-30T00:00:00Z\""}) {
        EXPECT_EQ(time(none), "null") << none;
    }
}

TEST(envelope, an_id_is_text_or_an_exact_integer) {
    EXPECT_EQ(Reading(kTasks, R"({"user_id":-3})").envelope().user_id, "-3");
    EXPECT_EQ(Reading(kTasks, R"({"user_id":18446744073709551615})").envelope().user_id,
              "18446744073709551615");
    EXPECT_EQ(Reading(kTasks, R"({"user_id":"1e30"})").envelope().user_id, "1e30");
    EXPECT_EQ(
        read(kTasks, R"({"user_id":1.5})"),
        "schema: user_id: is the number 1.5, must be text or a whole number of at most 64 bits");
    EXPECT_EQ(read(kTasks, R"({"data":{"task_id":true}})"),
              "schema: $body.task_id: is true or false, must be text or a whole number of at most "
              "64 bits");
    for (const char* id : {"1e30", "18446744073709551616", "123456789012345678901234567890", "{}",
                           "[1]", "false", "2.0"}) {
        for (const char* name : {"user_id", "task_id", "event_id"}) {
            const Reading reading(kTasks, fmt::format(R"({{"{}":{}}})", name, id));
            EXPECT_EQ(reading.event().status, EventStatus::kSchemaFault) << name << id;
        }
    }
}

TEST(envelope, an_id_has_a_longest_length) {
    const std::string longest(1024, 'x');
    EXPECT_EQ(Reading(kTasks, fmt::format(R"({{"user_id":"{}"}})", longest)).envelope().user_id,
              longest);
    EXPECT_EQ(read(kTasks, fmt::format(R"({{"user_id":"{}y"}})", longest)),
              "schema: user_id: is 1025 bytes long, must be at most 1024 (limits.id_bytes)");
}

TEST(envelope, an_empty_id_is_none) {
    EXPECT_EQ(read(kTasks, R"({"event_type":"deleted","user_id":"","task_id":"","event_id":""})"),
              "deleted user null task null id null v1 at null");
}

TEST(envelope, a_reminder_without_a_type_is_scheduled_if_it_says_when) {
    EXPECT_EQ(Reading(kReminders, R"({"task_id":1,"reminder_time":"2026-02-10T08:00:00"})")
                  .envelope()
                  .event_type,
              "schedule");
    EXPECT_EQ(Reading(kReminders, R"({"task_id":1,"due_at":"2026-02-10T08:00:00"})")
                  .envelope()
                  .event_type,
              "due");
    EXPECT_EQ(Reading(kReminders, R"({"event_type":"reminder","data":{"remind_at":1770710400}})")
                  .envelope()
                  .event_type,
              "schedule");
    EXPECT_EQ(Reading(kReminders, R"({"remind_at":""})").envelope().event_type, "due");
}

TEST(envelope, words_for_reminders_have_three_meanings) {
    const auto type = [](std::string_view word) {
        const Reading reading(kReminders, fmt::format(R"({{"event_type":"{}"}})", word));
        return std::string(reading.envelope().event_type);
    };
    EXPECT_EQ(type("reminder.due"), "due");
    EXPECT_EQ(type("reminder.triggered"), "due");
    EXPECT_EQ(type("reminder.cancelled"), "cancel");
    EXPECT_EQ(type("com.todo.reminder.CANCEL"), "cancel");
    EXPECT_EQ(type("reminder.scheduled"), "schedule");
    EXPECT_EQ(type("reminder.created"), "schedule");
    EXPECT_EQ(type("reminder.opened"), "opened");
}

TEST(envelope, a_body_may_be_text_that_contains_json) {
    const Reading reading(
        kTasks, R"({"event_type":"created","user_id":1,"data":"{\"id\":5,\"title\":\"Milk\"}"})");
    EXPECT_EQ(summary(reading), "created user 1 task 5 id null v1 at null");
    EXPECT_EQ(reading.field("title"), "Milk");
    EXPECT_EQ(read(kTasks, R"({"data":"not json","task_id":1})"),
              "null user null task 1 id null v1 at null");
}

TEST(envelope, a_value_may_be_json_text_once) {
    EXPECT_EQ(read(kTasks, R"("{\"event_type\":\"created\",\"user_id\":1}")"),
              "created user 1 task null id null v1 at null");
    EXPECT_EQ(read(kTasks, R"("\"{}\"")"), "undecodable: the value is text, not a JSON object");
    EXPECT_EQ(read(kTasks, R"("hello")").substr(0, 35), "undecodable: the value is not JSON:");
}

TEST(envelope, records_of_a_batch_are_told_apart) {
    auto batch = std::make_shared<RecordBatch>();
    batch->origin = {"task-events", Partition{2}};
    for (int i = 0; i < 4; ++i) batch->records.push_back({Offset{i}, {}, {}, {}, {}});
    batch->records[0].value = R"({"user_id":1})";
    batch->records[2].value = "[";
    batch->records[3].value = R"({"user_id":4,"schema_version":9})";
    const auto decoded = shipped_reader().decode(batch);
    ASSERT_EQ(decoded->events.size(), 4U);
    EXPECT_EQ(decoded->events[0].envelope.user_id, "1");
    EXPECT_EQ(decoded->events[1].status, EventStatus::kTombstone);
    EXPECT_EQ(decoded->events[2].status, EventStatus::kUndecodable);
    EXPECT_EQ(decoded->events[3].status, EventStatus::kUnknownVersion);
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(decoded->events[i].record, &decoded->batch->records[i]);
        EXPECT_TRUE(is_uuid(decoded->events[i].effective_id));
    }
}

TEST(strict_topic, accepts_the_canonical_shape_and_names_what_is_not) {
    constexpr auto kCanonical = R"({{"event_id":"7d9f1c1e-3b1a-4c57-9a5e-0f6d2d6a7b10",
        "schema_version":1,"event_type":"completed","timestamp":"2026-11-23T03:05:43Z",
        "task_id":"42","user_id":{},"task_data":{{"title":"a"}}}})";
    const std::string good = fmt::format(kCanonical, R"("u")");
    EXPECT_EQ(read("strict-tasks", good),
              "completed user u task 42 id 7d9f1c1e-3b1a-4c57-9a5e-0f6d2d6a7b10 v1 at "
              "2026-11-23T03:05:43Z");
    EXPECT_EQ(read("strict-tasks", fmt::format(kCanonical, "7")),
              "schema: /user_id: is a number, must be string");
    EXPECT_EQ(read("strict-tasks", R"({"event_type":"completed"})"),
              "schema: /event_id: is missing");
    EXPECT_EQ(read("strict-tasks", R"({"schema_version":2})"),
              "version: schema_version 2 is not known: there is no schema task-event.v2");
    EXPECT_EQ(Reading("strict-anything", "{}").event().status, EventStatus::kReadable);
}

TEST(strict_topic, reads_the_canonical_shape_inside_a_cloudevent) {
    EXPECT_EQ(read("strict-tasks", R"({"specversion":"1.0","id":"x","type":"t","source":"s",
        "data":{"event_id":"7d9f1c1e-3b1a-4c57-9a5e-0f6d2d6a7b10","schema_version":1,
        "event_type":"deleted","timestamp":"2026-11-23T03:05:43Z","task_id":"42","user_id":"u"}})"),
              "deleted user u task 42 id 7d9f1c1e-3b1a-4c57-9a5e-0f6d2d6a7b10 v1 at "
              "2026-11-23T03:05:43Z");
}

TEST(undecodable, says_what_is_wrong) {
    EXPECT_EQ(read(kTasks, ""), "undecodable: the value is empty");
    EXPECT_EQ(read(kTasks, "[1]"), "undecodable: the value is an array, not a JSON object");
    EXPECT_EQ(read(kTasks, "null"), "undecodable: the value is null, not a JSON object");
    EXPECT_EQ(read(kTasks, R"({"a":1e999})"),
              "undecodable: the value has a number that is too large to be finite");
    EXPECT_EQ(read(kTasks, std::string(70, '[') + std::string(70, ']')),
              "undecodable: the value is nested deeper than 64 levels");
    for (const std::string_view text :
         {"{", "{'a':1}", "{\"a\":NaN}", "{\"a\":1,}", "{}{}", "{\"a\":\"\xff\"}",
          "{\"a\":\"\xc0\x80\"}", "{\"a\":\"\\ud800\"}", "\x01", "{\"a\":01}"}) {
        EXPECT_EQ(Reading(kTasks, text).event().status, EventStatus::kUndecodable) << text;
    }
}

TEST(hostile_json, is_read_or_refused_without_surprise) {
    EXPECT_EQ(Reading(kTasks, R"({"user_id":1,"user_id":2})").envelope().user_id, "2");
    EXPECT_EQ(Reading(kTasks, "\xef\xbb\xbf{\"user_id\":3}").envelope().user_id, "3");
    EXPECT_EQ(Reading(kTasks, R"({"user_id":"\u0000"})").envelope().user_id,
              std::string_view("\0", 1));
    std::string deep = "1";
    for (int i = 0; i < 60; ++i) deep = R"({"data":)" + deep + "}";
    EXPECT_EQ(Reading(kTasks, deep).event().status, EventStatus::kReadable);
    std::string wide = "{";
    for (int i = 0; i < 5000; ++i) wide += fmt::format(R"("k{}":{},)", i, i);
    EXPECT_EQ(Reading(kTasks, wide + R"("user_id":"w"})").envelope().user_id, "w");
}

}  // namespace
}  // namespace millrace::testing
