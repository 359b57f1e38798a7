#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <millrace/testing.hpp>

namespace millrace {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;

using Fields = std::map<std::string, std::string>;

const FakeHost::Texts kWebhook{{"webhook_url", "http://127.0.0.1:9/hook"}};
constexpr const char* kNow = "2026-02-10T08:00:00Z";  // where the host begins
const Fields kPlants{{"title", "Water the plants"},
                     {"due", "2026-02-10T09:00:00Z"},
                     {"remind_at", "2026-02-10T08:45:00Z"}};

EventSpec event(std::string type, Fields fields, std::string time = kNow,
                std::string topic = "reminders") {
    return {.topic = std::move(topic),
            .type = std::move(type),
            .user = "7",
            .task = "42",
            .time = parse_time(time),
            .fields = std::move(fields)};
}

EventSpec task(std::string type, std::string time = kNow) {
    return event(std::move(type), {}, std::move(time), "task-events");
}

Fields at(std::string remind_at) {
    Fields fields = kPlants;
    fields["remind_at"] = std::move(remind_at);
    return fields;
}

TEST(Notification, a_reminder_is_delivered_at_its_time_and_not_before) {
    FakeHost host(kWebhook);
    ASSERT_EQ(host.send(event("schedule", kPlants)).kind, MILLRACE_ACK);
    host.advance(minutes(44));
    EXPECT_TRUE(host.calls().empty());
    EXPECT_TRUE(host.published().empty());
    host.restart();
    host.advance(minutes(1));
    ASSERT_EQ(host.calls().size(), 1U);
    EXPECT_EQ(host.calls().front().url, "http://127.0.0.1:9/hook");
    EXPECT_EQ(host.calls().front().method, "POST");
    EXPECT_EQ(host.calls().front().key, "7");
    const Json body = Json::parse(host.calls().front().body);
    EXPECT_EQ(body.text_or("task_id", ""), "42");
    EXPECT_EQ(body.text_or("title", ""), "Water the plants");
    EXPECT_EQ(body.text_or("due_at", ""), "2026-02-10T09:00:00Z");
    ASSERT_EQ(host.published().size(), 1U);
    EXPECT_EQ(host.published().front().topic, "task-updates");
    EXPECT_EQ(host.published().front().key, "7");
    EXPECT_EQ(
        host.published().front().event.dump(),
        R"({"event_type":"reminder","task_id":"42","user_id":"7","changes":{"title":"Water the plants",)"
        R"("due_at":"2026-02-10T09:00:00Z","remind_at":"2026-02-10T08:45:00Z"}})");
}

TEST(Notification, fire_now_is_delivered_at_once) {
    FakeHost host(kWebhook);
    host.send(event("due", {{"title", "Pay rent"}}));
    EXPECT_EQ(host.calls().size(), 1U);
    EXPECT_EQ(host.published().size(), 1U);
}

TEST(Notification, one_reminder_is_delivered_once_whatever_the_event_ids) {
    FakeHost host(kWebhook);
    host.send(event("schedule", kPlants));
    host.send(event("schedule", kPlants));
    host.advance(minutes(50));
    host.send(event("schedule", kPlants, "2026-02-10T08:50:00Z"));
    host.send(event("due", kPlants, "2026-02-10T08:50:00Z"));
    host.send(event("due", {{"due", "2026-02-10T09:00:00Z"}}, "2026-02-10T08:50:00Z"));
    host.send(event("due", {{"due", "2026-02-10T09:00:00Z"}}, "2026-02-10T08:51:00Z"));
    EXPECT_EQ(host.calls().size(), 2U) << "one at 08:45, one for the task that is due at 09:00";
}

TEST(Notification, a_newer_schedule_takes_the_place_of_the_older) {
    FakeHost host(kWebhook);
    host.send(event("schedule", kPlants));
    host.send(event("schedule", at("2026-02-10T08:10:00Z"), "2026-02-10T08:00:01Z"));
    host.send(event("schedule", at("2026-02-10T08:20:00Z"), "2026-02-10T08:00:00.5Z"));
    EXPECT_EQ(host.timers().size(), 1U);
    host.advance(minutes(60));
    ASSERT_EQ(host.calls().size(), 1U);
    EXPECT_THAT(host.calls().front().body, HasSubstr("08:10:00Z"));
}

TEST(Notification, named_reminders_of_one_task_stand_side_by_side) {
    FakeHost host(kWebhook);
    for (const char* name : {"a", "b"}) {
        Fields fields =
            at(name == std::string("a") ? "2026-02-10T08:10:00Z" : "2026-02-10T08:20:00Z");
        fields["reminder_id"] = name;
        host.send(event("schedule", fields));
    }
    host.send(event("cancel", {{"reminder_id", "a"}}, "2026-02-10T08:01:00Z"));
    host.advance(minutes(60));
    ASSERT_EQ(host.calls().size(), 1U);
    EXPECT_THAT(host.calls().front().body, HasSubstr("08:20:00Z"));
}

TEST(Notification, a_cancelled_completed_or_deleted_task_is_not_reminded_of) {
    for (const auto& end :
         {event("cancel", {}, "2026-02-10T08:01:00Z"), task("completed", "2026-02-10T08:01:00Z"),
          task("deleted", "2026-02-10T08:01:00Z")}) {
        FakeHost host(kWebhook);
        host.send(event("schedule", kPlants));
        host.send(end);
        EXPECT_TRUE(host.timers().empty()) << end.type;
        host.advance(minutes(60));
        EXPECT_TRUE(host.calls().empty()) << end.type;
        EXPECT_EQ(host.counted("cancelled"), 1) << end.type;
    }
}

TEST(Notification, a_schedule_that_is_read_after_its_cancellation_stays_cancelled) {
    FakeHost host(kWebhook);
    host.send(task("completed", "2026-02-10T08:01:00Z"));
    host.send(event("schedule", kPlants, "2026-02-10T08:00:30Z"));
    EXPECT_TRUE(host.timers().empty());
    host.send(event("schedule", kPlants, "2026-02-10T08:02:00Z"));
    EXPECT_EQ(host.timers().size(), 1U) << "published after the completion: wanted";
}

TEST(Notification, an_updated_task_keeps_its_reminder) {
    FakeHost host(kWebhook);
    host.send(event("schedule", kPlants));
    host.send(task("updated", "2026-02-10T08:01:00Z"));
    EXPECT_EQ(host.timers().size(), 1U);
}

TEST(Notification, a_reminder_that_is_late_is_delivered_and_one_that_is_too_late_is_logged) {
    FakeHost host(kWebhook);
    host.send(event("schedule", at("2026-02-09T08:00:01Z")));
    EXPECT_EQ(host.calls().size(), 1U);
    host.send(event("schedule", at("2026-02-09T07:59:59Z")));
    EXPECT_EQ(host.calls().size(), 1U);
    EXPECT_EQ(host.counted("expired"), 1);
    EXPECT_THAT(host.logs().back(), HasSubstr("2026-02-09T07:59:59Z"));
    EXPECT_THAT(host.query("deliveries"), HasSubstr(R"("outcome":"expired")"));
}

TEST(Notification, what_lay_in_the_topic_before_the_first_start_may_still_be_cancelled) {
    FakeHost host(kWebhook);
    host.send(event("schedule", at("2026-02-10T07:00:00Z"), "2026-02-10T06:00:00Z"));
    host.send(event("due", {{"title", "Pay rent"}}, "2026-02-10T06:00:00Z"));
    EXPECT_TRUE(host.calls().empty());
    host.send(event("cancel", {}, "2026-02-10T06:30:00Z"));
    host.send(event("schedule", at("2026-02-10T07:30:00Z"), "2026-02-10T06:40:00Z"));
    host.advance(seconds(3));
    ASSERT_EQ(host.calls().size(), 1U);
    EXPECT_THAT(host.calls().front().body, HasSubstr("07:30:00Z"));
}

TEST(Notification, the_webhooks_answer_is_the_outcome) {
    FakeHost host(kWebhook);
    host.send(event("due", {{"title", "Pay rent"}}));
    EXPECT_THAT(host.query("deliveries", {{"user", "7"}}),
                HasSubstr(R"("tries":0,"outcome":"sending")"));
    const std::string id = host.calls().front().id;
    host.set_now(*parse_time("2026-02-10T08:00:30Z"));
    host.respond(id, 200, "", 3);
    EXPECT_THAT(
        host.query("deliveries", {{"user", "7"}}),
        HasSubstr(R"("tries":3,"outcome":"delivered","lateness":30,"status":200,"detail":"")"));
    EXPECT_EQ(host.query("deliveries", {{"user", "8"}}), R"({"items":[]})");

    host.send(event("due", {{"title", "Other"}, {"due", "2026-02-11T00:00:00Z"}}));
    host.respond(host.calls().front().id, 410, "gone", 1);
    EXPECT_THAT(host.query("deliveries"),
                HasSubstr(R"("outcome":"failed","lateness":30,"status":410,"detail":"gone")"));
    EXPECT_EQ(host.counted("failed"), 1);
}

TEST(Notification, without_a_webhook_the_screens_are_enough) {
    FakeHost host;
    host.send(event("due", {{"title", "Pay rent"}}));
    EXPECT_TRUE(host.calls().empty());
    EXPECT_EQ(host.published().size(), 1U);
    EXPECT_THAT(host.query("deliveries"), HasSubstr(R"("tries":1,"outcome":"delivered")"));
}

TEST(Notification, headers_of_the_config_go_with_the_request) {
    FakeHost host({{"webhook_url", "https://example.org"}, {"headers", "[\"X-Token: a:b\"]"}});
    host.send(event("due", {}));
    EXPECT_THAT(host.calls().front().headers,
                testing::Contains(std::pair<std::string, std::string>("X-Token", "a:b")));
}

TEST(Notification, a_wrong_config_is_refused) {
    EXPECT_ANY_THROW(FakeHost({{"webhook_url", "ftp://example.org"}}));
    EXPECT_ANY_THROW(FakeHost({{"webhook_url", "http://"}}));
    EXPECT_ANY_THROW(FakeHost({{"webhook_url", "http://a b"}}));
    EXPECT_ANY_THROW(FakeHost({{"headers", "[\"nonsense\"]"}}));
    EXPECT_ANY_THROW(FakeHost({{"headers", "[\"two words: x\"]"}}));
}

TEST(Notification, timers_are_listed_in_the_order_of_their_time) {
    FakeHost host;
    host.send(event("schedule", kPlants));
    EXPECT_EQ(
        host.query("timers", {{"user", "7"}}),
        R"({"items":[{"id":"42@2026-02-10T08:45:00Z","user_id":"7","task_id":"42","title":"Water the plants",)"
        R"("due":"2026-02-10T08:45:00Z","due_at":"2026-02-10T09:00:00Z","remind_at":"2026-02-10T08:45:00Z"}]})");
    EXPECT_EQ(host.query("timers", {{"user", "8"}}), R"({"items":[]})");
}

TEST(Notification, only_the_newest_deliveries_are_kept) {
    FakeHost host({{"keep_deliveries", "100"}});
    for (int minute = 0; minute < 250; ++minute) {
        EventSpec spec = event("due", {{"due", format_time(*parse_time(kNow) + minutes(minute))}});
        host.send(spec);
        host.advance(seconds(1));
    }
    EXPECT_LE(std::stoi(*host.sql("SELECT count(*) FROM deliveries")), 200);
    EXPECT_GE(std::stoi(*host.sql("SELECT count(*) FROM deliveries")), 100);
    EXPECT_EQ(*host.sql("SELECT count(*) FROM deliveries WHERE due = " +
                        std::to_string(to_microseconds(*parse_time(kNow)))),
              "0");
}

TEST(Notification, what_names_no_user_task_or_time_is_ignored) {
    FakeHost host;
    EXPECT_EQ(host.send({.topic = "reminders", .type = "due", .task = "42"}).kind, MILLRACE_IGNORE);
    EXPECT_EQ(host.send({.topic = "reminders", .type = "due", .user = "7"}).kind, MILLRACE_IGNORE);
    EXPECT_EQ(host.send(event("schedule", {{"title", "x"}})).kind, MILLRACE_IGNORE);
    EXPECT_EQ(host.send(event("created", {})).kind, MILLRACE_ACK);
    EXPECT_TRUE(host.published().empty());
}

TEST(Notification, what_the_screens_topic_refuses_is_told_and_does_not_keep_the_webhook_waiting) {
    FakeHost screens;
    screens.refuse_publish("task-updates", "/user_id: is too long");
    screens.send(event("schedule", kPlants));
    EXPECT_EQ(screens.advance(minutes(45)).front().kind, MILLRACE_ACK);
    EXPECT_EQ(screens.query("timers"), R"({"items":[]})");
    EXPECT_THAT(screens.query("deliveries"), HasSubstr(R"("outcome":"failed")"));
    EXPECT_THAT(screens.query("deliveries"), HasSubstr("/user_id: is too long"));
    EXPECT_EQ(screens.counted("failed"), 1);
    FakeHost both(kWebhook);
    both.refuse_publish("task-updates", "/user_id: is too long");
    both.send(event("due", kPlants));
    EXPECT_EQ(both.calls().size(), 1U);
    EXPECT_EQ(both.counted("screens_refused"), 1);
}

TEST(Notification, a_reminder_whose_timer_is_lost_is_listed_until_it_is_too_late_and_then_expires) {
    FakeHost host(kWebhook);
    host.send(event("schedule", kPlants));
    host.timers().clear();  // as when it became a dead letter
    host.advance(minutes(60));
    EXPECT_THAT(host.query("timers"), HasSubstr("Water the plants"));
    host.advance(std::chrono::hours(24));
    EXPECT_EQ(host.query("timers"), R"({"items":[]})");
    for (int made = 0; made < 1'000; ++made) {
        EventSpec other = event("schedule", at("2026-02-20T08:00:00Z"), "2026-02-11T08:00:00Z");
        other.task = std::to_string(made + 1'000);
        host.send(other);
    }
    EXPECT_EQ(host.counted("expired"), 1);
    EXPECT_THAT(host.query("deliveries"), HasSubstr(R"("outcome":"expired")"));
}

}  // namespace
}  // namespace millrace
