#include <gtest/gtest.h>

#include "events/field_state.hpp"
#include "reading.hpp"

namespace millrace::testing {
namespace {

constexpr auto kTasks = "task-events";
constexpr auto kReminders = "reminders";
constexpr auto kUpdates = "task-updates";

TEST(recurrence, is_a_word_a_rule_or_a_pattern_with_its_interval) {
    const auto recurrence = [](std::string_view members) {
        return read_field(kTasks, fmt::format(R"({{"task_data":{{{}}}}})", members), "recurrence");
    };
    EXPECT_EQ(recurrence(R"("recurrence":"daily")"), "daily");
    EXPECT_EQ(recurrence(R"("recurrence":"DAILY")"), "daily");
    EXPECT_EQ(recurrence(R"("recurring":"yearly")"), "yearly");
    EXPECT_EQ(recurrence(R"("recurring_pattern":"weekly","recurring_interval":3)"),
              "weekly every 3");
    EXPECT_EQ(recurrence(R"("recurrence_pattern":"weekly","recurrence_interval":"2")"),
              "weekly every 2");
    EXPECT_EQ(recurrence(R"("recurrence_pattern":"weekly","recurrence_interval":null)"), "weekly");
    EXPECT_EQ(recurrence(R"("recurrence":{"frequency":"weekly","interval":2})"), "weekly every 2");
    EXPECT_EQ(recurrence(R"("recurrence_rule":"FREQ=DAILY;INTERVAL=2","recurrence_interval":2)"),
              "FREQ=DAILY;INTERVAL=2");
    EXPECT_EQ(recurrence(R"("recurrence":{"rule":"FREQ=DAILY","timezone":"Asia/Karachi"})"),
              "FREQ=DAILY in Asia/Karachi");
    EXPECT_EQ(recurrence(R"("is_recurring":true,"recurring":true,"recurrence_pattern":"monthly")"),
              "monthly");
}

TEST(recurrence, custom_gives_way_to_a_rule) {
    EXPECT_EQ(read_field(kTasks, R"({"recurrence_pattern":"custom","recurrence":"FREQ=DAILY"})",
                         "recurrence"),
              "FREQ=DAILY");
    EXPECT_EQ(read_field(kTasks, R"({"recurrence_pattern":"custom","recurrence_interval":2})",
                         "recurrence"),
              "custom every 2");
}

TEST(recurrence, none_null_and_absent_are_the_same) {
    for (const char* members :
         {R"("recurrence":"none")", R"("recurrence":"None")", R"("recurrence":null)",
          R"("recurrence":"")", R"("recurrence":false)", R"("recurring":true)",
          R"("recurrence":{})", R"("recurrence_interval":2)", R"("recurrence_id":7)",
          R"("recurrence_pattern":"none","recurrence_interval":1,"timezone":"UTC")"}) {
        EXPECT_EQ(read_field(kTasks, fmt::format(R"({{"data":{{{}}}}})", members), "recurrence"),
                  "null")
            << members;
    }
}

TEST(recurrence, its_end_and_its_id_are_fields_of_their_own) {
    const Reading reading(kTasks, R"({"payload":{"recurring_pattern":"daily","recurring_interval":1,
        "recurring_end_date":"2026-12-31","recurrence_id":12}})");
    EXPECT_EQ(reading.field("recurrence"), "daily every 1");
    EXPECT_EQ(reading.field("recurrence_rule"), "daily");
    EXPECT_EQ(reading.field("recurrence_interval"), "1");
    EXPECT_EQ(reading.field("recurrence_until"), "2026-12-31");
    EXPECT_EQ(reading.field("recurrence_id"), "12");
    EXPECT_EQ(
        read_field(kTasks, R"({"recurrence":{"rule":"daily","until":"2026-12-31T10:00:00+01:00"}})",
                   "recurrence_until"),
        "2026-12-31T09:00:00Z");
}

TEST(recurrence, of_millrace_itself_carries_its_anchor_and_series) {
    const Reading reading(kTasks, R"({"task_data":{"recurrence":{"rule":"monthly",
        "anchor":"2026-01-31T09:00:00","series":"41"}}})");
    EXPECT_EQ(reading.field("recurrence"), "monthly");
    EXPECT_EQ(reading.field("recurrence_anchor"), "2026-01-31T09:00:00");
    EXPECT_EQ(reading.field("recurrence_series"), "41");
}

TEST(field, due_has_many_names_and_one_form) {
    EXPECT_EQ(read_field(kTasks, R"({"data":{"due_date":"2026-02-12"}})", "due"),
              "2026-02-12T00:00:00Z");
    EXPECT_EQ(read_field(kTasks, R"({"due_at":"2026-02-12T07:00:00+05:00"})", "due"),
              "2026-02-12T02:00:00Z");
    EXPECT_EQ(read_field(kTasks, R"({"data":{"due_date":"","due":"2026-02-12T07:00"}})", "due"),
              "2026-02-12T07:00:00Z");
    EXPECT_EQ(read_field(kTasks, R"({"data":{"task":{"due_date":"2026-02-12T07:00:00Z"}}})", "due"),
              "2026-02-12T07:00:00Z");
    EXPECT_EQ(read_field(kTasks, R"({"data":{"due_date":"tomorrow"}})", "due"), "null");
    EXPECT_EQ(read_field(kReminders, R"({"task_due_date":"2026-02-12"})", "due"),
              "2026-02-12T00:00:00Z");
}

TEST(field, completed_is_told_by_a_flag_or_by_the_status) {
    const auto completed = [](std::string_view members) {
        return read_field(kTasks, fmt::format(R"({{"data":{{{}}}}})", members), "completed");
    };
    EXPECT_EQ(completed(R"("completed":true)"), "true");
    EXPECT_EQ(completed(R"("is_complete":false)"), "false");
    EXPECT_EQ(completed(R"("is_completed":1)"), "true");
    EXPECT_EQ(completed(R"("status":"Completed")"), "true");
    EXPECT_EQ(completed(R"("status":"pending")"), "false");
    EXPECT_EQ(completed(R"("title":"x")"), "null");
}

TEST(field, null_texts_and_lists_are_read_as_they_are) {
    const Reading reading(kTasks, R"({"task_data":{"title":"Ärger \"x\"","description":null,
        "tags":["a","b"],"priority":2}})");
    EXPECT_EQ(reading.field("title"), "Ärger \"x\"");
    EXPECT_EQ(reading.field("description"), "null");
    EXPECT_EQ(reading.field("tags"), R"(["a","b"])");
    EXPECT_EQ(reading.field("priority"), "2");
    EXPECT_EQ(reading.field("no such field"), "null");
}

TEST(field, of_a_reminder_lies_at_the_top_or_in_the_body) {
    const Reading reading(kReminders, R"({"data":{"task_title":"Pay","reminder_time":
        "2026-11-24T08:45:00+00:00","due_date":"2026-11-24T09:00:00"}})");
    EXPECT_EQ(reading.field("title"), "Pay");
    EXPECT_EQ(reading.field("remind_at"), "2026-11-24T08:45:00Z");
    EXPECT_EQ(reading.field("due"), "2026-11-24T09:00:00Z");
}

TEST(changes, are_a_delta_a_list_of_names_or_the_whole_task) {
    const auto changes = [](std::string_view value) {
        return read_field(kUpdates, value, "changes");
    };
    EXPECT_EQ(changes(R"({"data":{"changes":{"a":{"old":1,"new":2}}}})"),
              R"({"a":{"old":1,"new":2}})");
    EXPECT_EQ(changes(R"({"changed_fields":{"a":{"before":1,"after":2}}})"),
              R"({"a":{"before":1,"after":2}})");
    EXPECT_EQ(changes(R"({"payload":{"changed_fields":["status","x"],"status":"done","y":1}})"),
              R"({"status":"done"})");
    EXPECT_EQ(changes(R"({"changed_fields":["status"]})"), R"(["status"])");
    EXPECT_EQ(changes(R"({"event_type":"updated","task":{"id":1,"title":"T"}})"),
              R"({"id":1,"title":"T"})");
    EXPECT_EQ(changes(R"({"event_type":"deleted","task_id":1,"user_id":2})"), "null");
}

TEST(field, of_what_could_not_be_read_is_null) {
    EXPECT_EQ(read_field(kTasks, "[]", "title"), "null");
    EXPECT_EQ(read_field("undeclared", R"({"title":"t"})", "title"), "t");
}

std::string said(std::string_view value, std::string_view name) {
    const Reading reading(kTasks, value);
    switch (field_state(reading.event(), name)) {
        case FieldState::kAbsent:
            return "absent";
        case FieldState::kNothing:
            return "nothing";
        case FieldState::kText:
            return reading.field(name);
    }
    return "no state";
}

TEST(said, tells_a_rule_that_was_taken_away_from_one_that_is_not_spoken_of) {
    for (
        const char* event :
        {R"({"task_data":{"recurring_pattern":null,"title":"x"}})",
         R"({"data":{"recurrence_rule":"none"}})", R"({"data":{"recurrence":""}})",
         R"({"is_recurring":false})", R"({"data":{"recurring":false}})",
         R"({"task_data":{"is_recurring":false,"recurrence_pattern":"daily"}})",
         R"({"recurrence_rule":"none","recurring_pattern":"daily"})",
         R"({"changes":{"recurrence":null}})", R"({"changes":{"is_recurring":false}})",
         R"({"changes":{"recurrence":{"old":"daily","new":null}},"task_data":{"recurrence":"daily"}})"}) {
        EXPECT_EQ(said(event, "recurrence_rule"), "nothing") << event;
    }
    for (const char* event :
         {R"({"task_data":{"title":"x"}})", R"({"data":{"recurring":true}})",
          R"({"previous":{"recurrence_rule":null}})", R"({"data":{"old":{"recurrence":"none"}}})",
          R"({"changes":{"title":{"old":"a","new":"b"}}})", R"({"changed_fields":["recurrence"]})",
          R"([])"}) {
        EXPECT_EQ(said(event, "recurrence_rule"), "absent") << event;
    }
    EXPECT_EQ(said(R"({"recurrence_rule":null,"recurring_pattern":"daily"})", "recurrence_rule"),
              "daily");
    EXPECT_EQ(said(R"({"recurring":"true","frequency":"weekly"})", "recurrence_rule"), "weekly");
    EXPECT_EQ(said(R"({"title":"x"})", "no such field"), "absent");
}

TEST(delta, is_read_in_each_of_its_forms_and_before_the_whole_task) {
    for (
        const char* event :
        {R"({"changes":{"recurrence":"weekly"}})",
         R"({"changes":{"recurrence":{"old":"daily","new":"weekly"}}})",
         R"({"changes":{"recurrence":{"old":{"rule":"daily"},"new":{"rule":"weekly"}}}})",
         R"({"data":{"changes":{"recurrence_rule":"weekly"}}})",
         R"({"payload":{"changed_fields":{"recurrence":{"before":"daily","after":"weekly"}}}})",
         R"({"changed_fields":["recurrence"],"task_data":{"recurrence":"weekly"}})",
         R"({"changes":{"recurrence":{"from":null,"to":"weekly"}}})",
         R"({"changes":{"recurrence_rule":{"old":"daily","new":null},"recurring_pattern":"weekly"}})",
         R"({"changes":{"recurrence":"weekly"},"task_data":{"recurrence":"daily"}})",
         R"({"specversion":"1.0","type":"task.updated","data":{"changes":{"recurrence":"weekly"}}})"}) {
        EXPECT_EQ(said(event, "recurrence_rule"), "weekly") << event;
    }
    for (const char* due : {R"("2026-12-03T09:00:00")",
                            R"({"old":"2026-12-01T09:00:00","new":"2026-12-03T09:00:00"})"}) {
        EXPECT_EQ(said(fmt::format(R"({{"changes":{{"due_date":{}}}}})", due), "due"),
                  "2026-12-03T09:00:00Z");
    }
    EXPECT_EQ(said(R"({"changes":{"due_date":{"old":"2026-12-01","new":null}}})", "due"),
              "nothing");
    EXPECT_EQ(said(R"({"changes":{"due_date":{"old":"2026-12-01","note":"x"}}})", "due"), "absent");
}

TEST(field, that_is_an_integer_keeps_its_digits_however_many) {
    for (const char* number : {"10000000000000000000000", R"("10000000000000000000000")"}) {
        EXPECT_EQ(read_field(kTasks, fmt::format(R"({{"recurrence_interval":{}}})", number),
                             "recurrence_interval"),
                  "10000000000000000000000");
    }
    EXPECT_EQ(read_field(kTasks, R"({"recurrence_interval":18446744073709551615})",
                         "recurrence_interval"),
              "18446744073709551615");
    for (const char* number : {"0", "-10000000000000000000000", "1.5", R"("two")", R"("")"}) {
        EXPECT_EQ(read_field(kTasks, fmt::format(R"({{"recurrence_interval":{}}})", number),
                             "recurrence_interval"),
                  "null")
            << number;
    }
}

}  // namespace
}  // namespace millrace::testing
