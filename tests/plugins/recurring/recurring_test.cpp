#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <millrace/testing.hpp>

namespace millrace {
namespace {

using testing::HasSubstr;

using Fields = std::map<std::string, std::string>;

EventSpec event(std::string type, std::string time, Fields fields, std::string task = "42") {
    EventSpec spec = task_event(std::move(type), "7", std::move(task));
    spec.time = parse_time(time);
    spec.fields = std::move(fields);
    return spec;
}

// Nothing counts as older than the first start.
const FakeHost::Texts kFresh{{"settle", "0s"}};

const Fields kRent{
    {"title", "Pay rent"}, {"recurrence_rule", "monthly"}, {"due", "2026-01-31T09:00:00Z"}};

Fields with(Fields fields, const Fields& more) {
    for (const auto& [name, value] : more) fields[name] = value;
    return fields;
}

// The task_data of the only event that was published since the last call.
Json taken(FakeHost& host) {
    EXPECT_EQ(host.published().size(), 1U);
    if (host.published().size() != 1) return Json::object({{"task_data", Json::object()}});
    Json event = host.published().front().event;
    host.published().clear();
    return event;
}

std::string due_of(const Json& event) {
    return std::string(event.find("task_data")->text_or("due_date", "none"));
}

TEST(Recurring, the_next_task_follows_a_completed_one) {
    FakeHost host(kFresh);
    const auto spec = event("completed", "2026-01-30T08:00:00Z",
                            with(kRent, {{"description", "by transfer"},
                                         {"priority", "high"},
                                         {"tags", R"(["home","money"])"}}));
    ASSERT_EQ(host.send(spec).kind, MILLRACE_ACK);
    EXPECT_EQ(host.published().front().topic, "task-events");
    EXPECT_EQ(host.published().front().key, "7");
    const Json next = taken(host);
    EXPECT_EQ(next.text_or("event_type", ""), "created");
    EXPECT_EQ(next.text_or("user_id", ""), "7");
    EXPECT_EQ(next.text_or("task_id", ""), "42~20260228T090000Z");
    EXPECT_EQ(
        next.find("task_data")->dump(),
        R"({"title":"Pay rent","completed":false,"description":"by transfer","priority":"high",)"
        R"("tags":["home","money"],"due_date":"2026-02-28T09:00:00Z",)"
        R"("recurrence":{"rule":"monthly","anchor":"2026-01-31T09:00:00","series":"42"},"parent_task_id":"42"})");
}

TEST(Recurring, a_task_makes_one_next_task_however_often_it_is_completed) {
    FakeHost host(kFresh);
    host.send(event("completed", "2026-01-30T08:00:00Z", kRent));
    EXPECT_EQ(due_of(taken(host)), "2026-02-28T09:00:00Z");
    host.send(event("updated", "2026-01-30T08:01:00Z", {{"completed", "false"}}));
    host.send(event("completed", "2026-01-30T08:02:00Z", kRent));
    host.send(event("completed", "2026-04-01T08:02:00Z", {{"recurrence_rule", "monthly"}}));
    host.restart();
    host.send(event("completed", "2026-01-30T08:00:00Z", kRent));
    EXPECT_TRUE(host.published().empty());
    EXPECT_EQ(host.counted("created"), 1);
    EXPECT_EQ(host.counted("again"), 3);
}

TEST(Recurring, the_chain_keeps_the_day_of_its_first_task) {
    FakeHost host(kFresh);
    host.send(event("completed", "2026-01-30T08:00:00Z", kRent));
    const Json february = taken(host);
    const std::string id(february.text_or("task_id", ""));
    host.send(
        event("created", "2026-01-30T08:00:01Z", with(kRent, {{"due", due_of(february)}}), id));
    EXPECT_TRUE(host.published().empty());
    host.send(event("completed", "2026-02-28T08:00:00Z", {{"recurrence_rule", "monthly"}}, id));
    const Json march = taken(host);
    EXPECT_EQ(due_of(march), "2026-03-31T09:00:00Z");
    EXPECT_EQ(march.text_or("task_id", ""), "42~20260331T090000Z");
    EXPECT_EQ(march.find("task_data")->text_or("parent_task_id", ""), id);
}

TEST(Recurring, the_anchor_in_an_event_carries_a_series_over_lost_state) {
    FakeHost host(kFresh);
    host.send(event("completed", "2026-02-28T08:00:00Z",
                    with(kRent, {{"due", "2026-02-28T09:00:00Z"},
                                 {"recurrence_anchor", "2026-01-31T09:00:00"},
                                 {"recurrence_series", "42"}}),
                    "42~20260228T090000Z"));
    EXPECT_EQ(taken(host).text_or("task_id", ""), "42~20260331T090000Z");
}

TEST(Recurring, due_and_rule_may_be_known_from_earlier_events_only) {
    FakeHost host(kFresh);
    host.send(event("created", "2026-01-01T08:00:00Z", kRent));
    host.send(event("updated", "2026-01-02T08:00:00Z", {{"due", "2026-01-15T10:00:00Z"}}));
    host.send(event("completed", "2026-01-03T08:00:00Z", {}));
    const Json next = taken(host);
    EXPECT_EQ(due_of(next), "2026-02-15T10:00:00Z");
    EXPECT_EQ(next.find("task_data")->text_or("title", ""), "Pay rent");
}

TEST(Recurring, an_older_event_that_comes_late_changes_nothing) {
    FakeHost host(kFresh);
    host.send(
        event("updated", "2026-01-02T08:00:00Z", with(kRent, {{"due", "2026-01-15T10:00:00Z"}})));
    host.send(event("created", "2026-01-01T08:00:00Z",
                    {{"due", "2026-01-01T00:00:00Z"}, {"title", "Rent"}}));
    host.send(event("completed", "2026-01-03T08:00:00Z", {}));
    EXPECT_EQ(due_of(taken(host)), "2026-02-15T10:00:00Z");
}

TEST(Recurring, without_any_due_the_completion_is_the_start) {
    FakeHost host(kFresh);
    host.send(event("completed", "2026-11-23T03:22:10.2Z",
                    {{"recurrence_rule", "FREQ=WEEKLY;BYDAY=MO"}}));
    EXPECT_EQ(due_of(taken(host)), "2026-11-30T03:22:10Z");
}

TEST(Recurring, a_late_completion_skips_what_is_past_unless_every_occurrence_is_wanted) {
    const auto late = event("completed", "2026-11-23T03:21:00Z", kRent);
    FakeHost skipping(kFresh);
    skipping.send(late);
    EXPECT_EQ(due_of(taken(skipping)), "2026-11-30T09:00:00Z");
    FakeHost every({{"catch_up", "every"}, {"settle", "0s"}});
    every.send(late);
    EXPECT_EQ(due_of(taken(every)), "2026-02-28T09:00:00Z");
}

TEST(Recurring, the_local_time_of_the_zone_is_kept) {
    FakeHost host(kFresh);
    host.send(event("completed", "2026-03-26T08:00:00Z",
                    {{"recurrence_rule", "weekly"},
                     {"recurrence_timezone", "Europe/Paris"},
                     {"due", "2026-03-27T08:00:00Z"}}));
    const Json next = taken(host);
    EXPECT_EQ(due_of(next), "2026-04-03T07:00:00Z");
    EXPECT_EQ(next.find("task_data")->find("recurrence")->text_or("timezone", ""), "Europe/Paris");
}

TEST(Recurring, an_unknown_zone_is_said_and_the_default_taken) {
    FakeHost host(kFresh);
    host.send(event("completed", "2026-01-30T08:00:00Z",
                    with(kRent, {{"recurrence_timezone", "Mars/Phobos"}})));
    EXPECT_EQ(due_of(taken(host)), "2026-02-28T09:00:00Z");
    EXPECT_EQ(host.counted("unknown_zones"), 1);
    EXPECT_THAT(host.logs().front(), HasSubstr("Mars/Phobos"));
}

TEST(Recurring, a_series_ends_with_its_end_date) {
    FakeHost host(kFresh);
    host.send(event("completed", "2026-01-30T08:00:00Z",
                    with(kRent, {{"recurrence_until", "2026-02-27"}})));
    EXPECT_TRUE(host.published().empty());
    EXPECT_EQ(host.counted("ended"), 1);
    EXPECT_EQ(host.query("series"), R"({"items":[]})");
}

TEST(Recurring, a_count_holds_over_the_chain) {
    FakeHost host(kFresh);
    std::string id = "42";
    Fields fields{{"recurrence_rule", "FREQ=DAILY;COUNT=3"}, {"due", "2026-01-01T09:00:00Z"}};
    for (const char* due : {"2026-01-02T09:00:00Z", "2026-01-03T09:00:00Z"}) {
        host.send(event("completed", "2026-01-01T08:00:00Z", fields, id));
        const Json next = taken(host);
        EXPECT_EQ(due_of(next), due);
        id = std::string(next.text_or("task_id", ""));
        fields = {};
    }
    host.send(event("completed", "2026-01-01T08:00:00Z", fields, id));
    EXPECT_TRUE(host.published().empty());
}

TEST(Recurring, a_deleted_task_goes_on_no_more) {
    FakeHost host(kFresh);
    host.send(event("created", "2026-01-01T08:00:00Z", kRent));
    host.send(event("deleted", "2026-01-02T08:00:00Z", {}));
    host.send(event("completed", "2026-01-03T08:00:00Z", kRent));
    EXPECT_TRUE(host.published().empty());
    host.send(event("created", "2026-01-04T08:00:00Z", kRent));
    host.send(event("completed", "2026-01-05T08:00:00Z", {}));
    EXPECT_EQ(host.published().size(), 1U);
}

TEST(Recurring, a_rule_that_was_taken_away_is_gone) {
    FakeHost host(kFresh);
    host.send(event("created", "2026-01-01T08:00:00Z", kRent));
    EventSpec update = event("updated", "2026-01-02T08:00:00Z", {});
    update.nothing = {"recurrence_rule"};
    host.send(update);
    host.send(event("completed", "2026-01-03T08:00:00Z", {}));
    EXPECT_TRUE(host.published().empty());
}

TEST(Recurring, a_rule_in_an_old_copy_of_the_task_is_not_taken_away) {
    FakeHost host(kFresh);
    host.send(event("created", "2026-01-01T08:00:00Z", kRent));
    EventSpec update = event("updated", "2026-01-02T08:00:00Z", {{"title", "Rent"}});
    update.value = R"({"previous":{"recurrence_rule":null},"title":"Rent"})";
    host.send(update);
    host.send(event("completed", "2026-01-03T08:00:00Z", {}));
    EXPECT_EQ(host.published().size(), 1U);
}

TEST(Recurring, a_due_that_an_update_takes_away_is_gone_but_not_one_that_a_completion_leaves_out) {
    for (const bool taken_away : {true, false}) {
        FakeHost host(kFresh);
        host.send(event("created", "2026-01-01T08:00:00Z", kRent));
        EventSpec update = event("updated", "2026-01-02T08:00:00Z", {});
        if (taken_away) update.nothing = {"due"};
        host.send(update);
        EventSpec completed = event("completed", "2026-01-03T08:00:00Z", {});
        completed.nothing = {"due"};
        host.send(completed);
        EXPECT_EQ(due_of(taken(host)),
                  taken_away ? "2026-02-03T08:00:00Z" : "2026-02-28T09:00:00Z");
    }
}

TEST(Recurring, an_interval_alone_changes_the_rule) {
    FakeHost host(kFresh);
    host.send(event("created", "2026-01-01T08:00:00Z", kRent));
    host.send(event("updated", "2026-01-02T08:00:00Z", {{"recurrence_interval", "2"}}));
    host.send(event("completed", "2026-01-03T08:00:00Z", {}));
    EXPECT_EQ(due_of(taken(host)), "2026-03-31T09:00:00Z");
}

TEST(Recurring, an_interval_beyond_all_numbers_is_refused_and_not_read_as_one) {
    FakeHost host(kFresh);
    host.send(event("completed", "2026-01-30T08:00:00Z",
                    with(kRent, {{"recurrence_interval", "10000000000000000000000"}})));
    EXPECT_TRUE(host.published().empty());
    EXPECT_EQ(host.counted("refused_rules"), 1);
}

// Every order of reading gives what the order of writing gives.
TEST(Recurring, the_next_task_is_the_same_in_whatever_order_its_events_are_read) {
    std::vector<EventSpec> events{
        event("created", "2026-01-01T08:00:00Z", with(kRent, {{"due", "2026-01-10T09:00:00Z"}})),
        event("updated", "2026-01-02T08:00:00Z",
              {{"due", "2026-01-15T10:00:00Z"}, {"title", "Rent"}}),
        event("completed", "2026-01-03T08:00:00Z", {})};
    std::vector<std::size_t> order{0, 1, 2};
    do {
        FakeHost host(FakeHost::Texts{});
        for (const std::size_t at : order) host.send(events[at]);
        EXPECT_TRUE(host.published().empty()) << "history waits";
        host.advance(std::chrono::seconds(5));
        const Json next = taken(host);
        EXPECT_EQ(due_of(next), "2026-02-15T10:00:00Z") << order[0] << order[1] << order[2];
        EXPECT_EQ(next.find("task_data")->text_or("title", ""), "Rent");
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Recurring, a_completion_that_is_read_before_the_rule_is_kept_for_it) {
    FakeHost host(kFresh);
    host.send(event("completed", "2026-01-03T08:00:00Z", {}));
    host.restart();
    host.send(event("created", "2026-01-01T08:00:00Z", kRent));
    EXPECT_EQ(due_of(taken(host)), "2026-02-28T09:00:00Z");
    host.send(event("completed", "2026-01-04T08:00:00Z", {}));
    EXPECT_TRUE(host.published().empty());
}

TEST(Recurring, a_rule_that_is_given_after_the_completion_waits_for_the_next_one) {
    FakeHost host(kFresh);
    host.send(event("created", "2026-01-01T08:00:00Z", {{"due", "2026-01-31T09:00:00Z"}}));
    host.send(event("completed", "2026-01-02T08:00:00Z", {}));
    host.send(event("updated", "2026-01-03T08:00:00Z", {{"recurrence_rule", "monthly"}}));
    EXPECT_TRUE(host.published().empty());
    host.send(event("completed", "2026-01-04T08:00:00Z", {}));
    EXPECT_EQ(due_of(taken(host)), "2026-02-28T09:00:00Z");
}

TEST(Recurring, a_completion_that_is_read_late_waits_for_an_older_due) {
    FakeHost host;
    host.advance(std::chrono::hours(1));
    host.send(event("completed", "2026-02-10T08:10:00Z", {{"recurrence_rule", "daily"}}));
    EXPECT_TRUE(host.published().empty());
    host.send(event("updated", "2026-02-10T08:20:00Z", {{"title", "later"}}));
    host.send(event("created", "2026-02-10T08:05:00Z",
                    {{"recurrence_rule", "daily"}, {"due", "2026-02-12T09:00:00Z"}}));
    host.advance(std::chrono::seconds(2));
    EXPECT_EQ(due_of(taken(host)), "2026-02-13T09:00:00Z");
    EXPECT_TRUE(host.timers().empty());
}

TEST(Recurring, a_rule_that_changes_begins_anew) {
    FakeHost host(kFresh);
    host.send(event("completed", "2026-01-30T08:00:00Z", kRent));
    const std::string id(taken(host).text_or("task_id", ""));
    host.send(event("updated", "2026-02-01T08:00:00Z", {{"recurrence_rule", "weekly"}}, id));
    host.send(event("completed", "2026-02-20T08:00:00Z", {}, id));
    EXPECT_EQ(due_of(taken(host)), "2026-03-07T09:00:00Z");
}

TEST(Recurring, rules_that_are_custom_or_not_understood_make_nothing_and_are_counted) {
    FakeHost host(kFresh);
    host.send(event("completed", "2026-01-30T08:00:00Z", {{"recurrence_rule", "custom"}}, "1"));
    host.send(event("completed", "2026-01-30T08:00:00Z", {{"recurrence_rule", "whenever"}}, "2"));
    host.send(event("completed", "2026-01-30T08:00:00Z", {}, "3"));
    EXPECT_TRUE(host.published().empty());
    EXPECT_EQ(host.counted("custom_rules"), 1);
    EXPECT_EQ(host.counted("refused_rules"), 1);
    EXPECT_THAT(host.logs().back(), HasSubstr("whenever"));
}

TEST(Recurring, what_the_schema_would_refuse_is_cut_or_left_out) {
    FakeHost host(kFresh);
    const std::string title = std::string(1'999, 'x') + "\xC3\xA9";
    host.send(event("completed", "2026-01-30T08:00:00Z",
                    with(kRent, {{"title", title},
                                 {"tags", "[\"home\",7]"},
                                 {"recurrence_timezone", std::string(100, 'z')}}),
                    std::string(300, 't')));
    const Json next = taken(host);
    EXPECT_LE(next.text_or("task_id", "").size(), 256U);
    EXPECT_EQ(next.find("task_data")->text_or("title", ""), std::string(1'999, 'x'));
    EXPECT_EQ(next.find("task_data")->find("tags"), nullptr);
    EXPECT_EQ(next.find("task_data")->find("recurrence")->find("timezone"), nullptr);
}

TEST(Recurring, a_series_whose_id_is_too_long_is_carried_by_a_shorter_one) {
    FakeHost host(kFresh);
    host.send(event("completed", "2026-01-30T08:00:00Z",
                    with(kRent, {{"recurrence_series", std::string(1'000, 's')}})));
    const Json next = taken(host);
    EXPECT_LE(next.text_or("task_id", "").size(), 256U);
    EXPECT_LE(next.find("task_data")->find("recurrence")->text_or("series", "").size(), 200U);
}

TEST(Recurring, events_without_user_or_task_are_ignored) {
    FakeHost host(kFresh);
    EXPECT_EQ(host.send({.type = "completed", .task = "42"}).kind, MILLRACE_IGNORE);
    EXPECT_EQ(host.send({.type = "completed", .user = "7"}).kind, MILLRACE_IGNORE);
    EXPECT_EQ(host.send(event("viewed", "2026-01-30T08:00:00Z", kRent)).kind, MILLRACE_ACK);
}

TEST(Recurring, tasks_of_two_users_with_one_id_are_two) {
    FakeHost host(kFresh);
    EventSpec spec = event("completed", "2026-01-30T08:00:00Z", kRent);
    host.send(spec);
    spec.user = "8";
    host.send(spec);
    EXPECT_EQ(host.published().size(), 2U);
}

// The host starts on 2026-02-10 at 08:00.
TEST(Recurring, a_completion_from_before_the_first_start_waits_for_later_news) {
    FakeHost host;
    host.send(event("completed", "2026-01-30T08:00:00Z", kRent, "1"));
    host.send(event("completed", "2026-01-30T08:00:00Z", kRent, "2"));
    host.send(event("completed", "2026-01-30T08:00:00Z", kRent, "3"));
    host.send(event("updated", "2026-01-30T07:00:00Z", {{"title", "Rent"}}, "1"));
    host.send(event("updated", "2026-01-30T09:00:00Z", {{"completed", "false"}}, "2"));
    host.send(event("deleted", "2026-01-30T09:00:00Z", {}, "3"));
    EXPECT_TRUE(host.published().empty());
    host.advance(std::chrono::milliseconds(1'500));
    host.send(event("updated", "2026-01-30T09:00:00Z", {{"title", "Other"}}, "4"));
    host.advance(std::chrono::milliseconds(1'500));
    EXPECT_TRUE(host.published().empty()) << "the old records had not ended";
    host.advance(std::chrono::seconds(2));
    const Json next = taken(host);
    EXPECT_EQ(next.text_or("task_id", ""), "1~20260228T090000Z");
    EXPECT_EQ(next.find("task_data")->text_or("title", ""), "Pay rent");
    EXPECT_EQ(host.counted("superseded"), 1);
    EXPECT_TRUE(host.timers().empty());
}

TEST(Recurring, in_history_a_later_event_that_was_read_before_calls_the_next_one_off) {
    for (const char* later : {"updated", "deleted", "uncompleted", "viewed"}) {
        FakeHost host;
        host.send(event(later, "2026-01-30T09:00:00Z", {{"completed", "false"}}));
        host.send(event("completed", "2026-01-30T08:00:00Z", kRent));
        host.advance(std::chrono::seconds(5));
        EXPECT_TRUE(host.published().empty()) << later;
        FakeHost reversed;
        reversed.send(event("completed", "2026-01-30T08:00:00Z", kRent));
        reversed.send(event(later, "2026-01-30T09:00:00Z", {{"completed", "false"}}));
        reversed.advance(std::chrono::seconds(5));
        EXPECT_TRUE(reversed.published().empty()) << later;
        EXPECT_TRUE(reversed.timers().empty()) << later;
    }
}

TEST(Recurring, in_history_the_last_completion_counts_in_whatever_order_it_is_read) {
    std::vector<EventSpec> events{
        event("completed", "2026-01-30T08:00:00Z", kRent),
        event("updated", "2026-01-30T09:00:00Z", with(kRent, {{"completed", "false"}})),
        event("completed", "2026-01-30T10:00:00Z", {})};
    std::vector<std::size_t> order{0, 1, 2};
    do {
        FakeHost host(FakeHost::Texts{});
        for (const std::size_t at : order) host.send(events[at]);
        host.advance(std::chrono::seconds(5));
        EXPECT_EQ(due_of(taken(host)), "2026-02-28T09:00:00Z") << order[0] << order[1] << order[2];
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST(Recurring, the_state_of_version_1_is_taken_over) {
    FakeHost host;
    host.migrate_as(
        1,
        {"DROP TABLE known_tasks",
         "CREATE TABLE tasks(user TEXT NOT NULL, task TEXT NOT NULL, state INTEGER NOT NULL, time "
         "INTEGER NOT NULL, due INTEGER, title TEXT, description TEXT, priority TEXT, tags TEXT, "
         "rule TEXT, interval INTEGER, zone TEXT, until TEXT, anchor TEXT, series TEXT, next TEXT, "
         "waiting INTEGER, live INTEGER NOT NULL, PRIMARY KEY(user, task)) WITHOUT ROWID",
         "INSERT INTO tasks(user, task, state, time, due, title, rule, live) VALUES('7', '42', 1, "
         "1769000000000000, 1769850000000000, 'Pay rent', 'monthly', 1)"});
    host.send(event("completed", "2026-02-10T08:00:00Z", {}));
    const Json next = taken(host);
    EXPECT_EQ(due_of(next), "2026-02-28T09:00:00Z");
    EXPECT_EQ(next.find("task_data")->text_or("title", ""), "Pay rent");
}

TEST(Recurring, a_completion_after_the_first_start_does_not_wait) {
    FakeHost host;
    host.send(event("completed", "2026-02-10T08:00:00Z", kRent));
    EXPECT_EQ(host.published().size(), 1U);
}

TEST(Recurring, the_series_of_a_user_are_listed_with_what_comes_next) {
    FakeHost host(kFresh);
    host.send(event("created", "2026-01-01T08:00:00Z", kRent));
    EXPECT_EQ(
        host.query("series", {{"user", "7"}}),
        R"({"items":[{"user_id":"7","series":"42","task_id":"42","title":"Pay rent","rule":"monthly","interval":1,)"
        R"("timezone":"UTC","until":null,"due":"2026-01-31T09:00:00Z","next":"2026-02-28T09:00:00Z",)"
        R"("problem":null}]})");
    EXPECT_EQ(host.query("series", {{"user", "8"}}), R"({"items":[]})");
}

TEST(Recurring, a_preview_shows_local_and_utc_with_notes) {
    FakeHost host(kFresh);
    EXPECT_EQ(
        host.query("preview", {{"rule", "FREQ=DAILY;COUNT=2"},
                               {"start", "2026-03-28T02:30"},
                               {"zone", "Europe/Paris"},
                               {"count", "2"}}),
        R"({"occurrences":[{"local":"2026-03-28T02:30:00","utc":"2026-03-28T01:30:00Z","note":null},)"
        R"({"local":"2026-03-29T03:30:00","utc":"2026-03-29T01:30:00Z",)"
        R"("note":"the clocks skip 2026-03-29T02:30:00: moved forward by the gap"}],"finished":true})");
    EXPECT_THAT(
        host.query("preview", {{"rule", "monthly"}, {"start", "2026-01-31"}, {"count", "2"}}),
        HasSubstr(R"("note":"a shorter month: its last day"}],"finished":false})"));
    EXPECT_ANY_THROW(host.query("preview", {{"rule", "whenever"}}));
    EXPECT_ANY_THROW(host.query("preview", {{"rule", "daily"}, {"start", "2026-01-31T09:00:00Z"}}));
    EXPECT_ANY_THROW(host.query("preview", {{"rule", "daily"}, {"zone", "Mars/Phobos"}}));
    EXPECT_ANY_THROW(host.query("preview", {}));
}

TEST(Recurring, one_shard_answers_a_preview_for_all) {
    FakeHost first(kFresh, "0");
    FakeHost second(kFresh, "1");
    const FakeHost::Texts rule{{"rule", "daily"}, {"count", "1"}, {"start", "2026-01-01"}};
    EXPECT_EQ(second.query_shard("preview", rule), "{}");
    EXPECT_EQ(first.merge("preview", rule, {"{}", first.query_shard("preview", rule)}),
              first.query_shard("preview", rule));
}

// As many times a day as a rule may have, and the last of them in each year.
const std::string kCostly =
    "FREQ=YEARLY;COUNT=100000;BYSETPOS=-1;BYDAY=MO,TU,WE,TH,FR,SA,SU;"
    "BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23;"
    "BYMINUTE=0,5,10,15,20,25,30,35,40,45,50,55;BYSECOND=59";

TEST(Recurring, a_costly_rule_over_two_thousand_years_is_answered) {
    FakeHost host(kFresh);
    host.send(event("completed", "2026-01-30T08:00:00Z",
                    {{"recurrence_rule", kCostly}, {"due", "0001-01-01T00:00:00Z"}}));
    EXPECT_EQ(due_of(taken(host)), "2026-12-31T23:55:59Z");
}

TEST(Recurring, a_rule_that_takes_too_many_steps_is_refused_and_says_so) {
    FakeHost host({{"max_steps", "10000"}, {"settle", "0s"}});
    const Fields fields{{"recurrence_rule", kCostly}, {"due", "0001-01-01T00:00:00Z"}};
    EXPECT_EQ(host.send(event("completed", "2026-01-30T08:00:00Z", fields)).kind, MILLRACE_ACK);
    EXPECT_TRUE(host.published().empty());
    EXPECT_EQ(host.counted("refused_rules"), 1);
    EXPECT_THAT(host.logs().back(), HasSubstr("more than 10000 steps (config.max_steps)"));
    host.send(event("created", "2026-01-30T08:00:00Z",
                    with(kRent, {{"recurrence_rule", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}}),
                    "43"));
    EXPECT_THAT(host.query("series"), HasSubstr("config.max_steps"));
    EXPECT_THAT(
        host.query("preview",
                   {{"rule", kCostly}, {"start", "2026-01-01T00:00:00"}, {"count", "1000"}}),
        HasSubstr(R"("finished":false,"problem":"finding the occurrence takes more than)"));
}

}  // namespace
}  // namespace millrace
