// schemas/envelope.yaml is edited by people: what is wrong in it is refused with its line, what is
// added is followed.
#include "events/envelope_rules.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "reading.hpp"

namespace millrace::testing {
namespace {

constexpr auto kFile = "envelope.yaml";

std::string shipped_rules() {
    std::ifstream file(MILLRACE_SOURCE_DIR "/schemas/envelope.yaml");
    return {std::istreambuf_iterator<char>(file), {}};
}

// The shipped rules with one text in place of another, which must be there.
std::string edited(const std::string& from, const std::string& to) {
    std::string rules = shipped_rules();
    const std::size_t at = rules.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return rules.replace(at, from.size(), to);
}

EnvelopeReader reader_of(const std::string& rules,
                         std::vector<TopicReading> topics = shipped_topics()) {
    return EnvelopeReader(ConfigNode::parse(rules, kFile, nullptr), shipped_schemas(),
                          std::move(topics));
}

// The line of the text that replaced another, and the error that names it.
void expect_refused(const std::string& from, const std::string& to, const std::string& why) {
    const std::string rules = edited(from, to);
    const auto line =
        1 + std::count(rules.begin(), rules.begin() + static_cast<long>(rules.find(to)), '\n');
    try {
        reader_of(rules);
        ADD_FAILURE() << "accepted: " << to;
    } catch (const ConfigError& error) {
        const std::string message = error.what();
        EXPECT_TRUE(message.starts_with(fmt::format("{}:{}:", kFile, line))) << message << line;
        EXPECT_NE(message.find(why), std::string::npos) << message;
    }
}

TEST(envelope_rules, a_fault_is_refused_with_its_line) {
    expect_refused("version: 1\n", "version: 2\n", "version");
    expect_refused("when: recurs", "when: status", "flag");
    expect_refused("- {changes: $body.delta}", "- {change: $body.delta}", "'change' is not known");
    expect_refused("  old: [old,", "  olds: [old,", "'olds' is not known");
    expect_refused("max_nesting: 4", "max_nesting: 400", "max_nesting");
    expect_refused("max_nesting: 4", "max_nestling: 4", "'max_nestling' is not known here");
    expect_refused("- metadata.event_id", "- metadata..event_id", "empty member");
    expect_refused("- metadata.event_id", "- metadata.", "names no member");
    expect_refused("- $cloudevent.id", "- $cloud.id", "cannot begin with '$cloud'");
    expect_refused("- $cloudevent.id", "- $cloudevent", "names no member");
    expect_refused("of: [event_id]", "of: [event_ident]", "identity");
    expect_refused("when: [event_id_present]", "when: [event_id_there]", "identity");
    expect_refused("status: {is: word", "status: {is: wort", "status");
    expect_refused("in: task}\n      description", "in: tusk}\n      description", "places");
    expect_refused("names: [completed_at,", "names: [$header.completed_at,", "envelope only");
    expect_refused("{field: recurrence_interval", "{field: recurrence_step", "no field");
    expect_refused("{has: remind_at", "{has: remind_it", "no field");
    expect_refused("schemas: [reminder-event]", "schemas: [ task-event]", "already");
    expect_refused("fired, trigger,", "fired, scheduled,", "already stands for schedule");
}

TEST(envelope_rules, every_record_needs_an_identity) {
    try {
        reader_of(edited("  - of: [partition, offset, record_timestamp]\n", ""));
        ADD_FAILURE() << "accepted";
    } catch (const ConfigError& error) {
        EXPECT_NE(std::string(error.what()).find("no `when`"), std::string::npos) << error.what();
    }
}

TEST(envelope_rules, a_part_that_is_missing_is_named) {
    for (const char* part : {"limits", "cloudevents", "envelope", "identity", "places", "kinds"}) {
        const std::string from = fmt::format("\n{}:", part);
        try {
            reader_of(edited(from, fmt::format("\nx{}:", part)));
            ADD_FAILURE() << "accepted without " << part;
        } catch (const ConfigError& error) {
            EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
        }
    }
}

TEST(envelope_rules, a_topic_with_an_unknown_schema_is_refused) {
    EXPECT_THROW(reader_of(shipped_rules(), {{"t", "no-such-event", false}}), ConfigError);
}

TEST(envelope_rules, paths_of_ones_own_producer_are_one_line) {
    const auto reader = reader_of(edited("    - owner_id\n",
                                         "    - owner_id\n    - $header.tenant\n"
                                         "    - session.account.number\n"));
    const auto user = [&](std::string value, Headers headers = {}) {
        const auto batch = reader.decode_one("task-events", std::move(value), std::move(headers));
        return text_or_null(batch->events.front().envelope.user_id);
    };
    EXPECT_EQ(user(R"({"session":{"account":{"number":12}}})"), "12");
    EXPECT_EQ(user(R"({"session":{"account":{"number":12}}})", {{"Tenant", "t"}}), "t");
    EXPECT_EQ(user(R"({"session":[{"account":{"number":12}}]})"), "null");
}

TEST(envelope_rules, a_kind_of_ones_own_has_what_default_has_and_more) {
    const auto reader = reader_of(edited("  update:\n    schemas: [task-update-event]\n",
                                         "  update:\n    schemas: [task-update-event]\n"
                                         "    type_aliases: {updated: [patched]}\n") +
                                  "      due: {is: text, paths: [when]}\n");
    const auto batch = reader.decode_one(
        "task-updates", R"({"event_type":"task.patched","when":"soon","title":"T"})", {});
    const DecodedEvent& event = batch->events.front();
    std::string scratch;
    EXPECT_EQ(event.envelope.event_type, "updated");
    EXPECT_EQ(reader.field(event, "due", scratch), "soon");
    EXPECT_EQ(reader.field(event, "title", scratch), "T");
}

TEST(envelope_rules, an_overridden_part_changes_the_joined_field) {
    const auto reader =
        reader_of(shipped_rules() + "      recurrence_rule: {is: text, paths: [every]}\n");
    const auto batch =
        reader.decode_one("task-updates", R"({"every":"weekly","recurrence_interval":2})", {});
    std::string scratch;
    EXPECT_EQ(reader.field(batch->events.front(), "recurrence", scratch), "weekly every 2");
}

TEST(envelope_rules, a_type_is_one_word_however_it_is_written) {
    const auto type = [](const char* topic, std::string_view sent) {
        const Reading reading(topic, fmt::format(R"({{"event_type":"{}","title":"T"}})", sent));
        return std::string(reading.envelope().event_type);
    };
    for (const char* sent :
         {"task.completed", "TASK_COMPLETED", "TaskCompleted", "task completed", "todo-completed",
          "com.todo.task.completed.v1", "com.todo.task.completed.v1.0", "task.completed.V2",
          "io.todo.v1.task:completed", "complete"}) {
        EXPECT_EQ(type("task-events", sent), "completed") << sent;
    }
    for (const char* sent : {"reminder.due", "ReminderDue", "reminderDue", "reminder-due",
                             "due_reminder", "task.reminder_due", "reminder.due.v1"}) {
        EXPECT_EQ(type("reminders", sent), "due") << sent;
    }
    for (const char* sent :
         {"ReminderScheduled", "reminder-scheduled", "task.reminder.scheduled"}) {
        EXPECT_EQ(type("reminders", sent), "schedule") << sent;
    }
    for (const char* sent : {"ReminderCancelled", "ReminderCanceled", "reminder-cancelled"}) {
        EXPECT_EQ(type("reminders", sent), "cancel") << sent;
    }
    EXPECT_EQ(type("task-updates", "task.field_changed"), "field_changed");
    EXPECT_EQ(type("task-events", "7"), "7");
    EXPECT_EQ(type("task-events", "task.v"), "v");
}

TEST(major_version, reads_numbers_and_texts) {
    EXPECT_EQ(major_version(12), 12);
    EXPECT_EQ(major_version(1.9), 1);
    EXPECT_EQ(major_version("10.2"), 10);
    EXPECT_EQ(major_version("v1"), 1);
    EXPECT_EQ(major_version("V2.0"), 2);
    EXPECT_EQ(major_version("v"), 0);
    EXPECT_EQ(major_version("1."), 0);
    EXPECT_EQ(major_version("1.-2"), 0);
    EXPECT_EQ(major_version(""), 0);
    EXPECT_EQ(major_version(nullptr), 0);
}

}  // namespace
}  // namespace millrace::testing
