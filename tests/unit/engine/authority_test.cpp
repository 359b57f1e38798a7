// The state files are the authority on where reading goes on: what contradicts them is noticed,
// held with an alarm, and decided on by the configuration or a person.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "engine/lost_position.hpp"
#include "support/engine_world.hpp"

namespace millrace::engine {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::EngineWorld;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ModelHandler;
using ::testing::Not;

struct Authority : ::testing::Test {
    Authority() {
        world.section.shards = 1;
        world.transport.make_topic("tasks", 3);
    }

    // So many processed records on partition 0, then the server is stopped.
    void process(int records) {
        world.start();
        for (int i = 0; i < records; ++i) world.send(0, "u", "old" + std::to_string(i));
        world.run();
        world.stop();
    }
    void fill(int partition, int records, const std::string& prefix = "new") {
        for (int i = 0; i < records; ++i) world.send(partition, "u", prefix + std::to_string(i));
    }
    void recreate(int partitions) {
        world.transport.remove_topic("tasks");
        world.transport.make_topic("tasks", partitions);
    }
    // Why partition 0 is held; empty: it is not.
    std::string held(int partition = 0) {
        const auto status = boost::json::parse(world.supervisor->status());
        for (const auto& row : status.at("handlers").at(0).at("partitions").as_array()) {
            if (row.at("partition") == partition && !row.at("held").is_null())
                return std::string(row.at("held").as_string());
        }
        return "";
    }
    std::string readiness() {
        std::string text;
        for (const auto& reason : world.supervisor->unready()) text += reason + "\n";
        return text;
    }
    std::string resume(ResumeRequest request = {}) {
        std::string answer;
        world.supervisor->resume("model", request, [&](const Result<std::string>& told) {
            answer = told ? *told : told.error().message;
        });
        world.run();
        return answer;
    }
    std::string replay(ReplayRequest request) {
        std::string answer;
        world.supervisor->replay("model", request, [&](const Result<std::string>& told) {
            answer = told ? *told : told.error().message;
        });
        world.run();
        return answer;
    }
    static ResumeRequest deciding(LostDecision decision) { return {decision, {}}; }
    int rows() { return static_cast<int>(std::ranges::count(world.rows(), ';')); }

    EngineWorld world;
};

TEST_F(Authority, a_topic_made_anew_with_as_many_records_is_noticed_by_its_records) {
    process(3);
    recreate(3);
    fill(0, 5);
    world.start();
    world.run();
    EXPECT_THAT(held(), AllOf(HasSubstr("topic_recreated"), HasSubstr("offset 2"),
                              HasSubstr("millrace handlers resume model")));
    EXPECT_THAT(readiness(), HasSubstr("topic_recreated"));
    EXPECT_THAT(world.metrics->text(),
                HasSubstr("millrace_held{handler=\"model\",partition=\"0\",reason=\"topic_"
                          "recreated\",topic=\"tasks\"} 1"));
    EXPECT_EQ(rows(), 3) << "nothing of the other topic is processed";
    EXPECT_EQ(held(1), "") << "what was empty then cannot be told apart, and is not in doubt";
}

TEST_F(Authority, the_same_topic_goes_on_without_an_alarm) {
    process(3);
    fill(0, 2);
    world.start();
    world.run();
    EXPECT_EQ(held(), "");
    EXPECT_EQ(rows(), 5);
}

TEST_F(Authority, a_recreated_topic_can_be_read_from_its_beginning_or_gone_on_with) {
    process(3);
    recreate(3);
    fill(0, 5);
    world.start();
    world.run();
    EXPECT_THAT(resume(), HasSubstr("topic_recreated")) << "looked at again, nothing has changed";
    EXPECT_EQ(rows(), 3);
    EXPECT_THAT(resume(deciding(LostDecision::kRestart)), HasSubstr("\"held\":null"));
    EXPECT_EQ(rows(), 8);
    EXPECT_EQ(world.committed(0), Offset{5});
    EXPECT_THAT(readiness(), Not(HasSubstr("topic_recreated")));
    world.stop();
    world.start();
    world.run();
    EXPECT_EQ(held(), "") << "decided once";
    EXPECT_EQ(rows(), 8);
}

TEST_F(Authority, accepting_a_recreated_topic_goes_on_at_the_position) {
    process(3);
    recreate(3);
    fill(0, 5);
    world.section.lost_position = HandlerSection::LostPosition::kAccept;
    world.start();
    world.run();
    EXPECT_EQ(held(), "");
    EXPECT_EQ(rows(), 5) << "offsets 3 and 4";
}

TEST_F(Authority, a_hold_whose_cause_is_gone_ends_when_it_is_looked_at_again) {
    process(3);
    const auto before = world.transport.log;
    recreate(3);
    fill(0, 5);
    world.start();
    world.run();
    ASSERT_NE(held(), "");
    world.transport.log = before;
    EXPECT_THAT(resume(), HasSubstr("\"held\":null"));
    fill(0, 1);
    world.run();
    EXPECT_EQ(rows(), 4);
}

TEST_F(Authority, retention_past_the_position_is_held_until_it_is_accepted) {
    process(3);
    fill(0, 5);
    world.transport.low[{"tasks", {0}}] = Offset{6};
    world.start();
    world.run();
    EXPECT_THAT(held(),
                AllOf(HasSubstr("retention_passed"), HasSubstr("offset 6"), HasSubstr("3")));
    EXPECT_THAT(resume(deciding(LostDecision::kAccept)), HasSubstr("\"held\":null"));
    EXPECT_EQ(rows(), 5);
    EXPECT_EQ(world.committed(0), Offset{8});
}

TEST_F(Authority, a_record_that_retention_has_taken_cannot_be_checked_and_does_not_stop_reading) {
    process(3);
    world.transport.low[{"tasks", {0}}] = Offset{3};
    fill(0, 1);
    world.start();
    world.run();
    EXPECT_EQ(held(), "");
    EXPECT_EQ(rows(), 4);
}

TEST_F(Authority, another_cluster_is_noticed_and_both_are_named) {
    process(3);
    fill(0, 2);
    world.transport.cluster = "elsewhere";
    world.start();
    world.run();
    EXPECT_THAT(held(),
                AllOf(HasSubstr("topic_recreated"), HasSubstr("memory"), HasSubstr("elsewhere")));
    EXPECT_EQ(rows(), 3);
    // Every partition with a position is held, and decided on by itself.
    ASSERT_NE(held(1), "");
    ResumeRequest one = deciding(LostDecision::kAccept);
    one.which.partition = Partition{0};
    resume(one);
    EXPECT_EQ(held(0), "");
    EXPECT_NE(held(1), "");
    EXPECT_EQ(rows(), 5);
    world.stop();
    world.start();
    world.run();
    EXPECT_EQ(held(0), "");
    EXPECT_NE(held(1), "");
}

TEST_F(Authority, fewer_partitions_than_before_is_another_topic) {
    process(1);
    recreate(2);
    world.start();
    world.run();
    EXPECT_THAT(held(1), AllOf(HasSubstr("topic_recreated"), HasSubstr("3"), HasSubstr("2")));
    resume(deciding(LostDecision::kRestart));
    EXPECT_EQ(held(0), "");
    EXPECT_EQ(held(1), "");
    world.stop();
    world.start();
    world.run();
    EXPECT_EQ(held(1), "") << "two partitions are what is known now";
}

TEST_F(Authority, a_state_put_back_from_a_copy_catches_up_and_applies_nothing_twice) {
    process(3);
    const auto copy = world.directory.path() + "/copy";
    const auto state = world.directory.path() + "/handlers";
    std::filesystem::copy(state, copy, std::filesystem::copy_options::recursive);
    world.start();
    fill(0, 4);
    world.run();
    world.stop();
    std::filesystem::remove_all(state);
    std::filesystem::rename(copy, state);
    world.start();
    world.run();
    EXPECT_THAT(held(), AllOf(HasSubstr("state_behind"), HasSubstr("offset 7"), HasSubstr("3")));
    resume(deciding(LostDecision::kRestart));
    EXPECT_EQ(rows(), 7);
    EXPECT_EQ(world.committed(0), Offset{7});
}

TEST_F(Authority, an_answer_that_comes_while_the_handler_goes_down_starts_nothing) {
    world.start();
    fill(0, 1);
    world.run();
    world.transport.keeps_answers = true;
    world.transport.rebalance();
    world.run();
    ASSERT_FALSE(world.transport.kept.empty());
    world.runtime.park("model");  // its shards take their time to close
    world.supervisor->restart("model", [](const Result<std::string>&) {});
    world.run();
    world.transport.keeps_answers = false;
    for (const auto& answer : std::exchange(world.transport.kept, {})) answer();
    world.runtime.unpark();
    fill(0, 1);
    world.run();
    EXPECT_EQ(rows(), 2);
    EXPECT_EQ(world.committed(0), Offset{2});
}

// That a record was handed out says that nothing lies in the gap below it.
TEST_F(Authority, a_position_that_moves_over_a_gap_is_saved_before_it_is_published) {
    world.start();
    fill(0, 1);
    world.runtime.settle();
    // What follows the gap is handed out, and its shard has not said anything of it yet.
    world.transport.control.insert({{"tasks", {0}}, Offset{1}});
    world.transport.says_end = false;
    fill(0, 2);
    world.runtime.loop().post([this] {
        world.runtime.loop().post([this] { world.runtime.park("model"); });
    });
    world.run();
    EXPECT_EQ(world.committed(0), Offset{2});
    world.kill();
    world.runtime.unpark();
    world.start();
    world.run();
    EXPECT_EQ(held(), "");
    EXPECT_EQ(world.committed(0), Offset{3});
}

TEST_F(Authority, an_offset_set_back_from_outside_changes_nothing_and_is_published_again) {
    process(4);
    world.transport.committed["test.model"][{"tasks", {0}}] = Offset{1};
    world.transport.committed["test.model"].erase({"tasks", {1}});
    world.start();
    world.run();
    EXPECT_EQ(held(), "");
    EXPECT_EQ(rows(), 4);
    EXPECT_EQ(world.committed(0), Offset{4});
    EXPECT_EQ(world.committed(1), Offset{0});
}

TEST_F(Authority, a_partition_added_later_is_read_from_its_beginning_whatever_start_says) {
    world.section.start.kind = HandlerSection::Start::Kind::kLatest;
    fill(0, 2, "before");
    world.start();
    fill(0, 1, "first");
    world.run();
    EXPECT_EQ(rows(), 1);
    world.transport.make_topic("tasks", 5);
    fill(4, 2, "added");
    world.transport.rebalance();
    world.run();
    EXPECT_EQ(rows(), 3);
    // Also when it was added, written to and discovered while nobody was there.
    world.kill();
    world.transport.make_topic("tasks", 6);
    fill(5, 2, "later");
    world.start();
    world.run();
    EXPECT_EQ(rows(), 5);
}

TEST_F(Authority, a_handler_without_state_reads_added_partitions_from_their_beginning_too) {
    world.model->described.state = StateKind::kNone;
    world.model->described.state_version = 0;
    world.section.start.kind = HandlerSection::Start::Kind::kLatest;
    std::vector<std::string> seen;
    world.model->on_message = [&](ShardServices&, const MessageInput& input) {
        seen.emplace_back(input.event.envelope.task_id.value_or(""));
        return Outcome{};
    };
    fill(0, 2, "before");
    world.start();
    world.run();
    world.transport.make_topic("tasks", 4);
    fill(3, 2, "added");
    world.transport.rebalance();
    world.run();
    EXPECT_THAT(seen, ElementsAre("added0", "added1"));
}

TEST_F(Authority, a_log_that_cannot_be_asked_is_waited_for_with_a_reason) {
    process(2);
    fill(0, 1);
    world.transport.away = true;
    world.start();
    world.run();
    EXPECT_THAT(held(), AllOf(HasSubstr("position_unchecked"), HasSubstr("the log is away")));
    EXPECT_THAT(resume(deciding(LostDecision::kAccept)), HasSubstr("position_unchecked"))
        << "there is nothing to decide on yet";
    world.transport.away = false;
    world.runtime.advance(milliseconds(2'000));
    EXPECT_EQ(held(), "");
    EXPECT_EQ(rows(), 3);
}

TEST_F(Authority, a_position_file_of_the_first_version_is_taken_over) {
    const auto directory = world.directory.path() + "/handlers/model";
    std::filesystem::create_directories(directory);
    {
        auto file = sqlite::Database::open(directory + "/handler.db").value();
        file->execute(
                "CREATE TABLE _positions(topic TEXT NOT NULL, partition INTEGER NOT NULL, position "
                "INTEGER NOT NULL, PRIMARY KEY(topic, partition)) WITHOUT ROWID;"
                "CREATE TABLE _meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
                "INSERT INTO _meta VALUES('host_version', '1'), ('shards', '1');"
                "INSERT INTO _positions VALUES('tasks', 0, 2), ('tasks', 1, 0);")
            .value();
    }
    world.section.start.kind = HandlerSection::Start::Kind::kLatest;
    fill(0, 5);
    fill(2, 1, "added since");
    world.start();
    world.run();
    EXPECT_EQ(rows(), 4) << "from offset 2, and partition 2 from its beginning";
    EXPECT_EQ(world.committed(0), Offset{5});
}

TEST_F(Authority, a_replay_processes_records_again_and_their_events_keep_their_ids) {
    world.model->on_message = [](ShardServices& services, const MessageInput& input) {
        auto id = services.publish({"out", "k", R"({"event_type":"created"})"});
        if (!id) return Outcome{OutcomeKind::kDeadLetter, id.error().message, {}};
        return ModelHandler::insert(services, input);
    };
    world.start();
    fill(0, 3);
    fill(1, 1, "other");
    world.run();
    ASSERT_EQ(world.committed(0), Offset{3});
    const auto answer =
        replay({ReplayRequest::From::kOffset, Offset{1}, {}, {"tasks", Partition{0}}});
    EXPECT_THAT(answer, HasSubstr("\"position\":"));
    EXPECT_EQ(rows(), 6);
    EXPECT_EQ(world.committed(0), Offset{3});
    std::multiset<std::string> ids;
    for (const auto& record : world.transport.all_of("out")) {
        const auto event = boost::json::parse(record.value.value());
        ids.emplace(event.at("event_id").as_string());
    }
    EXPECT_EQ(ids.size(), 6U);
    EXPECT_EQ(std::set(ids.begin(), ids.end()).size(), 4U) << "the same ids again";
}

TEST_F(Authority, a_replay_goes_back_in_the_group_at_once_and_survives_a_crash) {
    world.start();
    fill(0, 6);
    world.run();
    ASSERT_EQ(world.committed(0), Offset{6});
    // From now on nothing gets done: the key waits.
    world.model->on_message = [](ShardServices&, const MessageInput&) {
        return Outcome{OutcomeKind::kRetry, "later", {}};
    };
    replay({ReplayRequest::From::kEarliest, {}, {}, {}});
    EXPECT_EQ(world.transport.committed["test.model"].at({"tasks", {0}}), Offset{0});
    world.kill();
    // The group did not hear of it.
    world.transport.committed["test.model"][{"tasks", {0}}] = Offset{6};
    world.model->on_message = [](ShardServices& services, const MessageInput& input) {
        return ModelHandler::insert(services, input);
    };
    world.start();
    world.runtime.advance(milliseconds(10'000));  // their attempts go on where they were
    EXPECT_EQ(held(), "") << "that the group is ahead is known";
    EXPECT_EQ(rows(), 12);
    EXPECT_EQ(world.committed(0), Offset{6});
}

TEST_F(Authority, a_replay_from_a_time_leaves_partitions_without_newer_records_alone) {
    world.start();
    fill(0, 2, "early");
    fill(1, 1, "early");
    world.runtime.advance(milliseconds(60'000));
    const auto noon = world.runtime.clock().now();
    fill(0, 2, "late");
    world.run();
    ASSERT_EQ(rows(), 5);
    replay({ReplayRequest::From::kTime, {}, noon, {}});
    EXPECT_EQ(rows(), 7);
}

TEST_F(Authority, a_replay_overtakes_what_is_waiting_and_loses_nothing_of_it) {
    int failing = 1'000;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        if (input.event.envelope.task_id == "new1" && failing-- > 0)
            return Outcome{OutcomeKind::kRetry, "not yet", {}};
        return ModelHandler::insert(services, input);
    };
    world.start();
    fill(0, 3);
    world.run();
    ASSERT_EQ(rows(), 1);
    replay({ReplayRequest::From::kEarliest, {}, {}, {}});
    failing = 0;
    world.runtime.advance(milliseconds(30'000));
    EXPECT_EQ(world.rows(), "u:new0;u:new0;u:new1;u:new2;");
    EXPECT_EQ(world.committed(0), Offset{3});
    EXPECT_THAT(world.transport.all_of("tasks-dlq"), IsEmpty());
}

TEST_F(Authority, a_replay_that_cannot_be_is_refused_with_a_reason) {
    world.start();
    fill(0, 3);
    world.run();
    const auto from = [](std::int64_t offset, PartitionChoice which) {
        return ReplayRequest{ReplayRequest::From::kOffset, Offset{offset}, {}, std::move(which)};
    };
    EXPECT_THAT(replay(from(1, {})), HasSubstr("one partition"));
    EXPECT_THAT(replay(from(9, {"tasks", Partition{0}})), HasSubstr("0 to 3"));
    EXPECT_THAT(replay(from(0, {"nope", {}})), HasSubstr("it reads: tasks"));
    EXPECT_THAT(replay(from(0, {"tasks", Partition{7}})), HasSubstr("no such partition"));
    EXPECT_EQ(rows(), 3);
    EXPECT_THAT(resume(), HasSubstr("nothing of handler model is held"));
}

TEST_F(Authority, a_handler_restarted_by_command_is_running_when_it_answers) {
    world.start();
    fill(0, 3);
    world.run();
    std::string answer;
    world.supervisor->restart("model", [&](const Result<std::string>& told) {
        answer = told ? *told : told.error().message;
    });
    fill(0, 2, "meanwhile");
    world.run();
    EXPECT_THAT(answer, HasSubstr("\"state\":\"running\""));
    EXPECT_EQ(rows(), 5);
    EXPECT_EQ(world.committed(0), Offset{5});
}

TEST_F(Authority, a_command_for_an_unknown_handler_names_the_known_ones) {
    world.start();
    std::string answer;
    world.supervisor->restart(
        "nope", [&](const Result<std::string>& told) { answer = told.error().message; });
    EXPECT_THAT(answer, HasSubstr("there are: model"));
}

Record record(std::int64_t offset, std::string_view value) {
    Record made;
    made.offset = Offset{offset};
    made.timestamp = Timestamp(milliseconds(1'700'000'000'000));
    made.key = "k";
    made.value = value;
    return made;
}

TEST(Fingerprint, tells_key_value_and_time_apart) {
    const auto first = fingerprint_of(record(7, "value"));
    EXPECT_EQ(fingerprint_of(record(7, "value")), first);
    EXPECT_NE(fingerprint_of(record(7, "valuE")), first);
    Record other = record(7, "value");
    other.key = "K";
    EXPECT_NE(fingerprint_of(other), first);
    other = record(7, "value");
    other.timestamp += milliseconds(1);
    EXPECT_NE(fingerprint_of(other), first);
}

TEST(Fingerprint, a_compacted_record_cannot_be_told) {
    const auto expected = fingerprint_of(record(7, "value"));
    RecordBatch there;
    EXPECT_EQ(check_record(expected, there), RecordCheck::kGone);
    there.records = {record(9, "value")};
    EXPECT_EQ(check_record(expected, there), RecordCheck::kGone);
    there.records = {record(7, "value")};
    EXPECT_EQ(check_record(expected, there), RecordCheck::kSame);
    there.records = {record(7, "other")};
    EXPECT_EQ(check_record(expected, there), RecordCheck::kDifferent);
}

TEST(Fingerprint, the_trail_gives_the_newest_below_a_position_once) {
    FingerprintTrail trail;
    for (const std::int64_t offset : {4, 9, 14}) trail.passed({Offset{offset}, {}, 0});
    EXPECT_EQ(trail.advance(Offset{4}), std::nullopt);
    EXPECT_EQ(trail.advance(Offset{10})->offset, Offset{9});
    EXPECT_EQ(trail.advance(Offset{10}), std::nullopt);
    EXPECT_EQ(trail.advance(Offset{100})->offset, Offset{14});
}

}  // namespace
}  // namespace millrace::engine
