// Who is sent what, and what is promised to those who come back: the hub without sockets, on a
// manual clock.
#include "gateway/hub.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/manual_runtime.hpp"

namespace millrace::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ManualRuntime;

const TopicPartition kFirst{"task-updates", {0}};
const TopicPartition kSecond{"task-updates", {1}};

struct Client final : Session {
    bool deliver(const Delivery& delivery) override {
        if (is_slow) return false;
        got.push_back(delivery.publication().data);
        previous.push_back(delivery.publication().previous ? delivery.publication().previous->value
                                                           : -1);
        cursor = delivery.cursor();
        return true;
    }
    void close(CloseCode code, const std::string&) override { closed = code; }

    std::vector<std::string> got;
    std::vector<std::int64_t> previous;
    std::string cursor;
    bool is_slow = false;
    std::optional<CloseCode> closed;
};

std::vector<std::string> data_of(const Joined& joined) {
    std::vector<std::string> all;
    for (const Delivery& delivery : joined.gap) all.push_back(delivery.publication().data);
    return all;
}

struct HubTest : ::testing::Test {
    HubTest() {
        config.resume_events = 5;
        config.max_sessions = 4;
        config.max_sessions_per_user = 2;
        start();
    }

    void start() {
        hub = std::make_unique<Hub>(runtime, config, metrics);
        hub->opened(kFirst, Offset{0});
        hub->opened(kSecond, Offset{0});
        runtime.settle();
    }

    void push(const std::string& user, const TopicPartition& origin, std::int64_t offset,
              const std::string& data) {
        hub->push({user, origin, Offset{offset}, runtime.clock().now(), "id-" + data, std::nullopt,
                   "updated", data});
        runtime.settle();
    }

    Joined join(Client& client, const std::string& user, std::optional<std::string> cursor = {}) {
        auto joined = hub->join(client, user, cursor);
        EXPECT_TRUE(joined) << joined.error().message;
        client.cursor = joined->gap.empty() ? joined->cursor : joined->gap.back().cursor();
        return *joined;
    }

    ManualRuntime runtime;
    Metrics metrics;
    GatewaySection config;
    std::unique_ptr<Hub> hub;
};

TEST_F(HubTest, an_event_reaches_every_session_of_its_user_and_of_nobody_else) {
    Client one, two, other;
    join(one, "7");
    join(two, "7");
    join(other, "8");
    push("7", kFirst, 0, "a");
    EXPECT_THAT(one.got, ElementsAre("a"));
    EXPECT_THAT(two.got, ElementsAre("a"));
    EXPECT_THAT(other.got, IsEmpty());
}

TEST_F(HubTest, previous_is_the_users_last_offset_on_the_same_partition) {
    Client client;
    join(client, "7");
    push("7", kFirst, 0, "a");
    push("8", kFirst, 1, "b");
    push("7", kSecond, 0, "c");
    push("7", kFirst, 2, "d");
    EXPECT_THAT(client.previous, ElementsAre(-1, -1, 0));
}

TEST_F(HubTest, a_session_without_cursor_begins_now) {
    push("7", kFirst, 0, "a");
    Client client;
    const Joined joined = join(client, "7");
    EXPECT_FALSE(joined.recovered);
    EXPECT_THAT(joined.gap, IsEmpty());
    push("7", kFirst, 1, "b");
    EXPECT_THAT(client.got, ElementsAre("b"));
}

TEST_F(HubTest, a_cursor_brings_the_whole_gap_over_all_partitions_in_order) {
    Client client;
    join(client, "7");
    push("7", kFirst, 0, "a");
    hub->leave(client);
    push("7", kSecond, 0, "b");
    push("8", kFirst, 1, "not mine");
    push("7", kFirst, 2, "c");
    const Joined joined = join(client, "7", client.cursor);
    EXPECT_TRUE(joined.recovered);
    EXPECT_THAT(data_of(joined), ElementsAre("b", "c"));
    // Each cursor on the way is as good as the last.
    Client another;
    EXPECT_THAT(data_of(join(another, "7", joined.gap.front().cursor())), ElementsAre("c"));
    hub->leave(another);
    EXPECT_THAT(data_of(join(another, "7", joined.gap.back().cursor())), IsEmpty());
}

TEST_F(HubTest, the_cursor_of_a_welcome_is_good_too) {
    Client client;
    const Joined joined = join(client, "7");
    hub->leave(client);
    push("7", kFirst, 0, "a");
    EXPECT_THAT(data_of(join(client, "7", joined.cursor)), ElementsAre("a"));
}

TEST_F(HubTest, a_gap_that_is_not_whole_is_not_sent_at_all) {
    Client client;
    join(client, "7");
    push("7", kFirst, 0, "a");
    const std::string cursor = client.cursor;
    hub->leave(client);
    for (int i = 1; i <= 6; ++i) push("7", kFirst, i, std::to_string(i));
    const Joined joined = join(client, "7", cursor);
    EXPECT_FALSE(joined.recovered);
    EXPECT_EQ(joined.reason, "cursor too old");
    EXPECT_THAT(joined.gap, IsEmpty());
}

TEST_F(HubTest, the_ring_of_one_user_does_not_push_out_anothers) {
    Client client;
    const std::string cursor = join(client, "quiet").cursor;
    hub->leave(client);
    push("quiet", kFirst, 0, "a");
    for (int i = 1; i <= 50; ++i) push("loud", kFirst, i, std::to_string(i));
    const Joined joined = join(client, "quiet", cursor);
    EXPECT_TRUE(joined.recovered);
    EXPECT_THAT(data_of(joined), ElementsAre("a"));
}

TEST_F(HubTest, what_is_older_than_the_resume_age_is_forgotten_and_raises_the_floor) {
    Client client;
    const std::string cursor = join(client, "7").cursor;
    hub->leave(client);
    push("7", kFirst, 0, "a");
    runtime.advance(config.resume_age + milliseconds(60'000));
    push("8", kFirst, 1, "b");
    const Joined joined = join(client, "7", cursor);
    EXPECT_FALSE(joined.recovered);
    EXPECT_EQ(joined.floor.front().second, Offset{1});
}

TEST_F(HubTest, a_user_with_a_session_keeps_its_previous_offset_however_long_it_was_quiet) {
    Client client;
    join(client, "7");
    push("7", kFirst, 0, "a");
    runtime.advance(config.resume_age * 2);
    push("7", kFirst, 1, "b");
    EXPECT_THAT(client.previous, ElementsAre(-1, 0));
}

TEST_F(HubTest, memory_stays_within_the_total_and_the_rest_is_still_promised_truly) {
    config.resume_total_bytes = 20'000;
    start();
    Client client;
    const std::string cursor = join(client, "0").cursor;
    hub->leave(client);
    for (int i = 0; i < 500; ++i) push(std::to_string(i), kFirst, i, std::string(100, 'x'));
    EXPECT_FALSE(join(client, "0", cursor).recovered);
    const std::string late = hub->cursor();
    push("499", kFirst, 500, "last");
    Client other;
    EXPECT_THAT(data_of(join(other, "499", late)), ElementsAre("last"));
}

TEST_F(HubTest, resume_survives_a_restart_because_the_ring_is_refilled_from_the_log) {
    Client client;
    join(client, "7");
    push("7", kFirst, 0, "a");
    const Timestamp then = runtime.clock().now();
    const std::string cursor = client.cursor;
    runtime.advance(milliseconds(60'000));
    start();
    for (const auto* data : {"a", "b"}) {
        hub->push({"7", kFirst, Offset{data[0] - 'a'}, then, std::string("id-") + data,
                   std::nullopt, "updated", data});
    }
    runtime.settle();
    Client again;
    const Joined joined = join(again, "7", cursor);
    EXPECT_TRUE(joined.recovered);
    EXPECT_THAT(data_of(joined), ElementsAre("b"));
}

TEST_F(HubTest, a_session_without_cursor_is_not_sent_the_refill) {
    Client client;
    join(client, "7");
    hub->push({"7", kFirst, Offset{0}, runtime.clock().now() - milliseconds(60'000), "id",
               std::nullopt, "updated", "old"});
    push("7", kFirst, 1, "new");
    EXPECT_THAT(client.got, ElementsAre("new"));
}

TEST_F(HubTest, what_was_published_after_a_session_began_reaches_it_even_if_reading_begins_later) {
    hub = std::make_unique<Hub>(runtime, config, metrics);
    Client client;
    join(client, "7");
    runtime.advance(milliseconds(1'000));
    const Timestamp published = runtime.clock().now();
    runtime.advance(milliseconds(1'000));
    hub->opened(kFirst, Offset{0});
    hub->push({"7", kFirst, Offset{0}, published, "id", std::nullopt, "updated", "a"});
    runtime.settle();
    EXPECT_THAT(client.got, ElementsAre("a"));
}

TEST_F(HubTest, a_producer_whose_clock_is_behind_is_heard_once_the_refill_has_paused) {
    Client client;
    join(client, "7");
    runtime.advance(milliseconds(2'000));
    hub->push({"7", kFirst, Offset{0}, runtime.clock().now() - milliseconds(60'000), "id",
               std::nullopt, "updated", "late clock"});
    runtime.settle();
    EXPECT_THAT(client.got, ElementsAre("late clock"));
}

TEST_F(HubTest, right_after_the_start_a_cursor_is_asked_to_come_back_rather_than_judged) {
    const std::string cursor = hub->cursor();
    hub = std::make_unique<Hub>(runtime, config, metrics);
    Client client;
    auto early = hub->join(client, "7", cursor);
    ASSERT_FALSE(early);
    EXPECT_EQ(early.error().code, ErrorCode::kUnavailable);
    hub->opened(kFirst, Offset{0});
    hub->opened(kSecond, Offset{0});
    runtime.settle();
    EXPECT_TRUE(join(client, "7", cursor).recovered);
}

TEST_F(HubTest, records_that_are_read_again_are_not_sent_again) {
    Client client;
    join(client, "7");
    push("7", kFirst, 0, "a");
    hub->closed(kFirst);
    hub->opened(kFirst, Offset{0});
    push("7", kFirst, 0, "a");
    push("7", kFirst, 1, "b");
    EXPECT_THAT(client.got, ElementsAre("a", "b"));
    EXPECT_FALSE(client.closed);
}

TEST_F(HubTest, a_topic_made_anew_closes_sessions_and_voids_cursors) {
    Client client;
    join(client, "7");
    push("7", kFirst, 0, "a");
    push("7", kFirst, 1, "b");
    const std::string cursor = client.cursor;
    runtime.advance(milliseconds(5'000));
    hub->opened(kFirst, Offset{0});
    push("7", kFirst, 0, "another log");
    EXPECT_EQ(client.closed, CloseCode::kEpochChanged);
    push("7", kFirst, 1, "its second");
    push("7", kFirst, 2, "its third");
    Client again;
    const Joined joined = join(again, "7", cursor);
    EXPECT_FALSE(joined.recovered);
    EXPECT_EQ(joined.reason, "epoch changed");
}

TEST_F(HubTest, reading_that_begins_above_what_was_seen_closes_sessions_for_a_resync) {
    Client client;
    join(client, "7");
    push("7", kFirst, 0, "a");
    hub->opened(kFirst, Offset{10});
    runtime.settle();
    EXPECT_EQ(client.closed, CloseCode::kCursorTooOld);
    EXPECT_EQ(hub->sessions(), 0U);
}

TEST_F(HubTest, a_cursor_from_an_instance_that_is_ahead_is_served_from_there_on) {
    Cursor ahead = *decode_cursor(hub->cursor());
    ahead[kFirst].next = Offset{2};
    Client client;
    EXPECT_TRUE(join(client, "7", encode_cursor(ahead)).recovered);
    for (int i = 0; i < 3; ++i) push("7", kFirst, i, std::to_string(i));
    EXPECT_THAT(client.got, ElementsAre("2"));
    runtime.advance(milliseconds(10'000));
    EXPECT_FALSE(client.closed);
}

TEST_F(HubTest, a_cursor_past_the_end_of_the_log_is_found_out_in_seconds) {
    Cursor ahead = *decode_cursor(hub->cursor());
    ahead[kFirst].next = Offset{1'000};
    Client client;
    join(client, "7", encode_cursor(ahead));
    runtime.advance(milliseconds(10'000));
    EXPECT_EQ(client.closed, CloseCode::kEpochChanged);
}

TEST_F(HubTest, a_slow_session_is_forgotten_and_the_others_go_on) {
    Client slow, quick;
    join(slow, "7");
    join(quick, "7");
    slow.is_slow = true;
    push("7", kFirst, 0, "a");
    EXPECT_THAT(quick.got, ElementsAre("a"));
    EXPECT_EQ(hub->sessions(), 1U);
}

TEST_F(HubTest, sessions_are_limited_per_user_and_in_all) {
    Client clients[6];
    join(clients[0], "7");
    join(clients[1], "7");
    auto third = hub->join(clients[2], "7", {});
    ASSERT_FALSE(third);
    EXPECT_THAT(third.error().message, HasSubstr("max_sessions_per_user"));
    join(clients[2], "8");
    join(clients[3], "9");
    auto fifth = hub->join(clients[4], "10", {});
    ASSERT_FALSE(fifth);
    EXPECT_EQ(fifth.error().code, ErrorCode::kFull);
    hub->leave(clients[0]);
    join(clients[4], "10");
}

TEST_F(HubTest, what_is_no_cursor_begins_now_and_says_so) {
    Client client;
    for (const char* text : {"", "nonsense", "AQ", "////"}) {
        const Joined joined = join(client, "7", text);
        EXPECT_FALSE(joined.recovered);
        EXPECT_EQ(joined.reason, "unreadable") << text;
    }
}

TEST(Cursor, comes_back_as_it_was_and_a_changed_letter_is_noticed) {
    Cursor cursor;
    cursor[kFirst] = {Offset{5'000'000'000},
                      Fingerprint{Offset{4'999'999'999}, 1'767'225'600'123, 0xdeadbeef}};
    cursor[kSecond] = {Offset{0}, std::nullopt};
    cursor[TopicPartition{"other", {12}}] = {Offset{1}, Fingerprint{Offset{0}, -1, 0}};
    const std::string text = encode_cursor(cursor);
    EXPECT_EQ(decode_cursor(text), cursor);
    EXPECT_LT(text.size(), 130U);
    for (std::size_t i = 0; i + 1 < text.size(); ++i) {
        std::string changed = text;
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        EXPECT_EQ(decode_cursor(changed), std::nullopt) << i;
    }
    EXPECT_EQ(decode_cursor(text.substr(0, text.size() / 2)), std::nullopt);
}

TEST(Delivery, carries_the_event_byte_for_byte_in_each_form) {
    auto event = std::make_shared<Publication>();
    event->origin = std::make_shared<const TopicPartition>(kFirst);
    event->offset = Offset{3};
    event->previous = Offset{1};
    event->id = "a\"b";
    event->type = "updated";
    event->data = "{\n \"title\": 1.50}";
    const Delivery delivery(event, "CURSOR");
    EXPECT_EQ(*delivery.text(EventForm::kPlain), event->data);
    EXPECT_EQ(*delivery.text(EventForm::kFrame),
              "{\"type\":\"event\",\"topic\":\"task-updates\",\"partition\":0,\"offset\":3,"
              "\"prev\":1,\"cursor\":\"CURSOR\","
              "\"id\":\"a\\\"b\",\"time\":null,\"data\":{\n \"title\": 1.50}}");
    EXPECT_EQ(*delivery.text(EventForm::kStream),
              "id: CURSOR\nevent: updated\ndata: {\ndata:  \"title\": 1.50}\n\n");
    EXPECT_EQ(delivery.text(EventForm::kFrame), delivery.text(EventForm::kFrame));
}

TEST(Delivery, leaves_a_byte_order_mark_out_since_a_frame_would_not_be_json) {
    auto event = std::make_shared<Publication>();
    event->origin = std::make_shared<const TopicPartition>(kFirst);
    event->data = "\xef\xbb\xbf{}";
    const Delivery delivery(event, "CURSOR");
    EXPECT_EQ(*delivery.text(EventForm::kPlain), "{}");
    EXPECT_THAT(*delivery.text(EventForm::kFrame), ::testing::HasSubstr("\"data\":{}}"));
    EXPECT_THAT(*delivery.text(EventForm::kStream), ::testing::HasSubstr("data: {}\n"));
}

}  // namespace
}  // namespace millrace::gateway
