#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <millrace/testing.hpp>
#include <random>

#include "audit/blocks.hpp"
#include "audit/position.hpp"

namespace {

using namespace millrace;

std::string at(int second) {
    return format_time(parse_time("2026-02-10T08:00:00Z").value() + std::chrono::seconds(second));
}

EventSpec event_at(int second, std::string user, std::string task, std::string type = "created") {
    EventSpec event = task_event(std::move(type), std::move(user), std::move(task));
    event.time = parse_time(at(second));
    event.partition = 1;
    return event;
}

std::vector<std::int64_t> offsets(const std::string& answer) {
    std::vector<std::int64_t> found;
    const Json parsed = Json::parse(answer);
    for (const Json& item : parsed.find("items")->items()) {
        found.push_back(item.find("offset")->integer().value());
    }
    return found;
}

struct AuditTest : ::testing::Test {
    FakeHost host{FakeHost::Texts(), "task-events-1"};
};

TEST_F(AuditTest, a_row_holds_the_event_as_it_came) {
    EventSpec event = event_at(5, "7", "42", "completed");
    event.value = R"({"event_type": "completed",  "a": "ä\n"})";
    event.key = "7";
    event.schema_version = 1;
    ASSERT_EQ(host.send(event).kind, MILLRACE_ACK);
    const Json answer = Json::parse(host.query("events"));
    Json expected = Json::parse(
        R"({"topic":"task-events","partition":1,"offset":0,"event_type":"completed","schema_version":1,)"
        R"("user_id":"7","task_id":"42","timestamp":"2026-02-10T08:00:05Z","sequence":1,"key":"7"})");
    const Json& item = answer.find("items")->items().at(0);
    for (const auto& [name, value] : expected.members()) {
        ASSERT_TRUE(item.find(name)) << name;
        EXPECT_EQ(item.find(name)->dump(), value.dump()) << name;
    }
    EXPECT_EQ(item.text_or("event_id", ""), event.id);
    EXPECT_EQ(item.text_or("body", ""), *event.value);
    EXPECT_TRUE(item.find("received_at")->is_text());
    EXPECT_TRUE(answer.find("next")->is_null());
}

TEST_F(AuditTest, an_event_without_anything_is_kept_too) {
    EventSpec event;
    event.partition = 1;
    event.key = std::string("\xff\x01", 2);
    ASSERT_EQ(host.send(event).kind, MILLRACE_ACK);
    const Json answer = Json::parse(host.query("events"));
    const Json& item = answer.find("items")->items().at(0);
    for (const char* name : {"event_type", "user_id", "task_id", "timestamp", "body"}) {
        EXPECT_TRUE(item.find(name)->is_null()) << name;
    }
    EXPECT_EQ(item.text_or("key_hex", ""), "ff01");
}

TEST_F(AuditTest, rows_cannot_be_changed_or_removed) {
    host.send(event_at(0, "7", "42"));
    EXPECT_THROW(host.change("UPDATE events SET user_id = '8'"), std::runtime_error);
    EXPECT_THROW(host.change("DELETE FROM events"), std::runtime_error);
    EXPECT_EQ(host.sql("SELECT user_id FROM events"), "7");
}

TEST_F(AuditTest, each_filter_finds_its_rows_newest_first) {
    host.send(event_at(0, "7", "42"));
    host.send(event_at(10, "8", "43", "deleted"));
    host.send(event_at(20, "7", "44", "deleted"));
    EventSpec milk = event_at(5, "9", "45");
    milk.value = R"({"title":"Buy 100% Milk"})";
    host.send(milk);
    const auto ask = [this](const FakeHost::Texts& parameters) {
        return offsets(host.query("events", parameters));
    };
    using Offsets = std::vector<std::int64_t>;
    EXPECT_EQ(ask({}), (Offsets{2, 1, 3, 0}));
    EXPECT_EQ(ask({{"user", "7"}}), (Offsets{2, 0}));
    EXPECT_EQ(ask({{"task", "43"}}), (Offsets{1}));
    EXPECT_EQ(ask({{"user", "7"}, {"task", "43"}}), Offsets{});
    EXPECT_EQ(ask({{"type", "deleted"}}), (Offsets{2, 1}));
    EXPECT_EQ(ask({{"type", "task.deleted"}}), (Offsets{2, 1}));
    EXPECT_EQ(ask({{"from", at(5)}, {"to", at(20)}}), (Offsets{1, 3}));
    EXPECT_EQ(ask({{"text", "100% milk"}}), (Offsets{3}));
    EXPECT_EQ(ask({{"text", "100_"}}), Offsets{});
    EXPECT_EQ(ask({{"limit", "2"}}), (Offsets{2, 1}));
}

TEST_F(AuditTest, of_rows_of_one_time_in_two_blocks_the_later_come_first) {
    for (int i = 0; i < 2 * audit::kBlockRows; ++i) host.send(event_at(i == 5 ? 60 : 0, "7", "42"));
    EXPECT_EQ(host.sql("SELECT count(*) FROM blocks"), "2");
    EXPECT_EQ(offsets(host.query("events", {{"limit", "3"}})),
              (std::vector<std::int64_t>{5, 2'047, 2'046}));
}

TEST_F(AuditTest, a_wrong_parameter_is_named) {
    for (const FakeHost::Texts& wrong : {FakeHost::Texts{{"limit", "0"}},
                                         {{"limit", "1001"}},
                                         {{"from", "x"}},
                                         {{"cursor", "x"}}}) {
        try {
            host.query("events", wrong);
            ADD_FAILURE() << wrong.begin()->first << " was taken";
        } catch (const std::runtime_error& error) {
            EXPECT_NE(std::string(error.what()).find("'" + wrong.begin()->first + "'"),
                      std::string::npos)
                << error.what();
        }
    }
}

TEST_F(AuditTest, the_sequence_goes_on_after_a_restart) {
    host.send(event_at(0, "7", "42"));
    host.restart();
    host.send(event_at(1, "7", "42"));
    EXPECT_EQ(host.sql("SELECT max(sequence) FROM events"), "2");
}

TEST_F(AuditTest, the_summary_accounts_for_every_offset) {
    for (int i = 0; i < 3; ++i) host.send(event_at(i, "7", "42"));
    millrace_origin counts{};
    counts.partition = 1;
    counts.last = 9;
    counts.acked = 3;
    counts.skipped = 2;
    counts.duplicates = 1;
    counts.dead_lettered = 1;
    host.add_origin(counts, "task-events");
    EXPECT_EQ(
        host.query("summary"),
        R"({"events":3,"partitions":[{"topic":"task-events","partition":1,"first":0,"last":9,)"
        R"("stored":3,"skipped":3,"dead_lettered":1,"missing":3}]})");
}

TEST_F(AuditTest, a_partition_of_which_nothing_was_seen_misses_nothing) {
    millrace_origin counts{};
    counts.partition = 1;
    counts.first = counts.last = -1;
    host.add_origin(counts, "task-events");
    EXPECT_NE(host.query("summary").find(R"("first":null,"last":null,"stored":0)"),
              std::string::npos);
    EXPECT_NE(host.query("summary").find(R"("missing":0)"), std::string::npos);
}

TEST_F(AuditTest, without_shards_the_answers_are_empty) {
    EXPECT_EQ(host.merge("events", {}, {}), R"({"items":[],"next":null})");
    EXPECT_EQ(host.merge("summary", {}, {}), R"({"events":0,"partitions":[]})");
}

TEST(Audit, another_kind_of_shard_is_refused) {
    EXPECT_THROW(FakeHost(FakeHost::Texts(), "seven"), std::runtime_error);
}

// Some thousand events over three shards, with few distinct times, against a list that is filtered
// and sorted here.
class AuditPages : public ::testing::Test {
protected:
    struct Row {
        Time time;
        std::string topic;
        int partition;
        std::int64_t sequence;
        EventSpec event;
    };

    AuditPages() {
        std::array<std::int64_t, 3> sequences{};
        for (int i = 0; i < 12'000; ++i) {
            const auto shard = static_cast<std::size_t>(random_() % 3);
            EventSpec event =
                event_at(static_cast<int>(random_() % 60), std::to_string(random_() % 40),
                         std::to_string(random_() % 900));
            event.topic = shard == 2 ? "reminders" : "task-events";
            event.partition = static_cast<std::int32_t>(shard % 2);
            EXPECT_EQ(shards_[shard].send(event).kind, MILLRACE_ACK);
            rows_.push_back({*event.time, event.topic, event.partition, ++sequences[shard], event});
        }
        std::ranges::sort(rows_, std::ranges::greater(), [](const Row& row) {
            return std::tuple(row.time, row.topic, row.partition, row.sequence);
        });
    }

    static std::string name(const Row& row) {
        return row.topic + "/" + std::to_string(row.partition) + "/" + std::to_string(row.sequence);
    }
    static std::string name(const Json& item) {
        return std::string(item.text_or("topic", "")) + "/" + item.find("partition")->dump() + "/" +
               item.find("sequence")->dump();
    }

    // Every page, one after the other.
    std::vector<std::string> read(FakeHost::Texts parameters) {
        std::vector<std::string> names;
        for (;;) {
            std::vector<std::string> answers;
            for (FakeHost& shard : shards_)
                answers.push_back(shard.query_shard("events", parameters));
            const Json page = Json::parse(shards_[0].merge("events", parameters, answers));
            for (const Json& item : page.find("items")->items()) names.push_back(name(item));
            if (page.find("next")->is_null()) return names;
            parameters["cursor"] = *page.find("next")->text();
        }
    }
    std::vector<std::string> expected(const std::function<bool(const Row&)>& matches) {
        std::vector<std::string> names;
        for (const Row& row : rows_) {
            if (matches(row)) names.push_back(name(row));
        }
        return names;
    }

    std::mt19937 random_{7};
    std::array<FakeHost, 3> shards_{FakeHost(FakeHost::Texts(), "task-events-0"),
                                    FakeHost(FakeHost::Texts(), "task-events-1"),
                                    FakeHost(FakeHost::Texts(), "reminders-0")};
    std::vector<Row> rows_;
};

TEST_F(AuditPages, they_have_every_row_once_and_in_order) {
    EXPECT_EQ(read({{"limit", "1000"}}), expected([](const Row&) { return true; }));
    EXPECT_EQ(read({{"limit", "7"}, {"user", "11"}}),
              expected([](const Row& row) { return row.event.user == "11"; }));
    EXPECT_EQ(read({{"limit", "1"}, {"task", "300"}}),
              expected([](const Row& row) { return row.event.task == "300"; }));
    EXPECT_EQ(read({{"limit", "100"}, {"from", at(10)}, {"to", at(12)}}),
              expected([](const Row& row) {
                  return row.time >= parse_time(at(10)) && row.time < parse_time(at(12));
              }));
    EXPECT_EQ(read({{"user", "nobody"}}), std::vector<std::string>());
}

TEST_F(AuditPages, rows_that_arrive_in_between_do_not_disturb_them) {
    const auto whole = expected([](const Row&) { return true; });
    FakeHost::Texts parameters{{"limit", "1000"}};
    std::vector<std::string> names;
    for (int page_number = 0;; ++page_number) {
        std::vector<std::string> answers;
        for (FakeHost& shard : shards_) answers.push_back(shard.query_shard("events", parameters));
        const Json page = Json::parse(shards_[0].merge("events", parameters, answers));
        for (const Json& item : page.find("items")->items()) names.push_back(name(item));
        if (page.find("next")->is_null()) break;
        parameters["cursor"] = *page.find("next")->text();
        EventSpec newer = event_at(1'000 + page_number, "7", "42");
        shards_[1].send(newer);
    }
    EXPECT_EQ(names, whole);
}

TEST(BlockFilter, it_never_denies_what_it_has_and_seldom_claims_what_it_has_not) {
    audit::BlockFilter filter;
    for (int i = 0; i < 1'024; ++i) {
        filter.add(audit::BlockFilter::Kind::kUser, "user-" + std::to_string(i));
        filter.add(audit::BlockFilter::Kind::kTask, "task-" + std::to_string(i));
    }
    const audit::BlockFilter stored(filter.bytes());
    int claimed = 0;
    for (int i = 0; i < 1'024; ++i) {
        EXPECT_TRUE(stored.may_have(audit::BlockFilter::Kind::kUser, "user-" + std::to_string(i)));
        claimed += stored.may_have(audit::BlockFilter::Kind::kUser, "task-" + std::to_string(i));
    }
    EXPECT_LT(claimed, 51);
}

TEST(Position, a_cursor_reads_back_as_the_position_it_was) {
    const audit::Position position{-5, {"my~topic", 3}, 12};
    EXPECT_EQ(audit::Position::from_cursor(position.to_cursor()), position);
    for (const char* wrong : {"", "1~2~3~", "1~2~x~t", "1~2~3", "~~~t"}) {
        EXPECT_THROW(audit::Position::from_cursor(wrong), BadParameter) << wrong;
    }
}

}  // namespace
