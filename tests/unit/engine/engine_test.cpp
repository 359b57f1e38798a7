// What the engine guarantees (G1 to G4, G8), on a manual clock, with a real SQLite and a log in
// memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "support/engine_world.hpp"

namespace millrace::engine {
namespace {

using testing::dead_letter;
using testing::EngineWorld;
using ::testing::HasSubstr;
using testing::ModelHandler;
using testing::retry;
using testing::task_of;

struct Engine : ::testing::Test {
    EngineWorld world;
};

TEST_F(Engine, every_record_reaches_the_handler_once_and_is_committed) {
    for (int i = 0; i < 30; ++i) world.send(i % 3, "u" + std::to_string(i % 7), std::to_string(i));
    world.start();
    world.run();
    EXPECT_EQ(std::ranges::count(world.rows(), ';'), 30);
    for (int partition = 0; partition < 3; ++partition)
        EXPECT_EQ(world.committed(partition), Offset{10});
}

TEST_F(Engine, records_of_one_user_run_in_order_whatever_their_key) {
    world.start();
    for (int i = 0; i < 5; ++i)
        world.send(1, "u", std::to_string(i),
                   i % 2 == 0 ? std::optional<std::string>("k" + std::to_string(i)) : std::nullopt);
    world.run();
    EXPECT_EQ(world.rows(), "u:0;u:1;u:2;u:3;u:4;");
}

TEST_F(Engine, a_user_has_one_shard_over_topics_and_keys) {
    world.section.topics = {"tasks", "others"};
    std::set<std::string> shards;
    world.start();
    world.transport.append({"tasks", {0}}, std::nullopt, world.event("u", "1"));
    world.transport.append({"tasks", {2}}, "task-key", world.event("u", "2"));
    world.transport.append({"others", {4}}, "u", world.event("u", "3"));
    world.run();
    // One shard answers with all three rows, the others with none.
    std::string answer;
    EXPECT_EQ(std::ranges::count(world.rows(), ';'), 3);
    int files_with_rows = 0;
    world.stop();
    for (int shard = 0; shard < 4; ++shard) {
        auto file = sqlite::Database::open(world.directory.path() + "/handlers/model/" +
                                           std::to_string(shard) + ".db");
        ASSERT_TRUE(file) << file.error().message;
        auto query = (*file)->prepare("SELECT count(*) FROM rows");
        ASSERT_TRUE(query && *query->step());
        if (query->integer(0) > 0) ++files_with_rows;
    }
    EXPECT_EQ(files_with_rows, 1);
}

TEST_F(Engine, a_failing_key_does_not_delay_its_neighbours) {
    world.model->on_message = [](ShardServices& services, const MessageInput& input) {
        if (task_of(input) == "bad" && input.attempt < 3) return retry("not yet");
        return ModelHandler::insert(services, input);
    };
    world.section.shards = 1;
    world.start();
    world.send(0, "a", "bad");
    world.send(0, "a", "after");
    world.send(0, "b", "good");
    world.runtime.settle();
    EXPECT_EQ(world.rows(), "b:good;");
    EXPECT_EQ(world.committed(0), Offset{0});
    world.runtime.advance(milliseconds(10'000));
    EXPECT_EQ(world.rows(), "b:good;a:bad;a:after;");
    EXPECT_EQ(world.committed(0), Offset{3});
}

TEST_F(Engine,
       what_keeps_failing_becomes_a_dead_letter_within_thirty_seconds_with_bytes_unchanged) {
    world.model->on_message = [](ShardServices& services, const MessageInput& input) {
        return task_of(input) == "bad" ? retry("never") : ModelHandler::insert(services, input);
    };
    world.start();
    const std::string value = world.event("a", "bad");
    world.transport.append({"tasks", {1}}, {{}, "key\xff", value, {{"trace", "7"}}});
    world.send(1, "a", "after");
    ASSERT_TRUE(world.runtime.advance_until(
        [&] { return !world.transport.all_of("tasks-dlq").empty(); }, milliseconds(30'000)));
    const auto letter = world.transport.all_of("tasks-dlq").front();
    EXPECT_EQ(letter.key, "key\xff");
    EXPECT_EQ(letter.value, value);
    EXPECT_EQ(letter.header("trace"), "7");
    EXPECT_EQ(letter.header("millrace-error-class"), "retries-exhausted");
    EXPECT_EQ(letter.header("millrace-error-message"), "never");
    EXPECT_EQ(letter.header("millrace-topic"), "tasks");
    EXPECT_EQ(letter.header("millrace-partition"), "1");
    EXPECT_EQ(letter.header("millrace-offset"), "0");
    EXPECT_EQ(letter.header("millrace-handler"), "model");
    world.run();
    EXPECT_EQ(world.rows(), "a:after;");
    EXPECT_EQ(world.committed(1), Offset{2});
}

TEST_F(Engine, what_cannot_be_read_is_dead_lettered_without_asking_the_handler) {
    world.start();
    world.transport.append({"tasks", {0}}, std::nullopt, "not json");
    world.send(0, "a", "1");
    world.run();
    ASSERT_EQ(world.transport.all_of("tasks-dlq").size(), 1U);
    EXPECT_EQ(world.transport.all_of("tasks-dlq")[0].value, "not json");
    EXPECT_EQ(world.transport.all_of("tasks-dlq")[0].header("millrace-error-class"), "undecodable");
    EXPECT_EQ(world.rows(), "a:1;");
    EXPECT_EQ(world.committed(0), Offset{2});
}

TEST_F(Engine, an_unknown_version_and_a_tombstone_are_skipped) {
    world.start();
    world.transport.append(
        {"tasks", {0}}, std::nullopt,
        R"({"event_type":"created","schema_version":9,"user_id":"a","task_id":"1"})");
    world.transport.append({"tasks", {0}}, {{}, "k", std::nullopt, {}});
    world.run();
    EXPECT_EQ(world.rows(), "");
    EXPECT_TRUE(world.transport.all_of("tasks-dlq").empty());
    EXPECT_EQ(world.committed(0), Offset{2});
}

TEST_F(Engine, an_event_that_was_sent_twice_is_handled_once) {
    world.start();
    const std::string value = world.event("a", "1");
    world.transport.append({"tasks", {0}}, std::nullopt, value);
    world.transport.append({"tasks", {2}}, "k", value);
    world.run();
    world.kill();
    world.start();
    world.transport.append({"tasks", {1}}, "k", value);
    world.run();
    EXPECT_EQ(world.rows(), "a:1;");
    EXPECT_EQ(world.committed(1), Offset{1});
}

TEST_F(Engine, nothing_is_applied_twice_when_the_group_offset_is_behind) {
    for (int i = 0; i < 10; ++i) world.send(0, "a", std::to_string(i));
    world.start();
    world.runtime.settle();
    const std::string before = world.rows();
    ASSERT_EQ(std::ranges::count(before, ';'), 10);
    world.kill();  // positions and offsets were not written yet
    ASSERT_EQ(world.transport.committed["test.model"].size(), 0U);
    world.start();
    world.run();
    EXPECT_EQ(world.rows(), before);
    EXPECT_EQ(world.committed(0), Offset{10});
}

TEST_F(Engine, a_group_offset_above_the_state_is_held_with_an_alarm_until_it_is_accepted) {
    for (int i = 0; i < 4; ++i) world.send(0, "a", std::to_string(i));
    world.transport.committed["test.model"][{"tasks", {0}}] = Offset{2};
    world.start();
    world.run();
    EXPECT_EQ(world.rows(), "");
    EXPECT_THAT(world.supervisor->unready(), ::testing::Contains(HasSubstr("state_behind")));
    world.kill();
    world.section.lost_position = HandlerSection::LostPosition::kAccept;
    world.start();
    world.run();
    EXPECT_EQ(world.rows(), "a:2;a:3;");
}

TEST_F(Engine, a_group_offset_above_the_state_is_another_servers_where_state_does_not_move) {
    world.accept_unmoved_state = true;
    for (int i = 0; i < 4; ++i) world.send(0, "u", std::to_string(i));
    world.transport.committed["test.model"][{"tasks", {0}}] = Offset{2};
    world.start();
    world.run();
    EXPECT_EQ(world.rows(), "u:2;u:3;");
    EXPECT_EQ(world.committed(0), Offset{4});
}

TEST_F(Engine, a_recreated_topic_is_held_and_read_anew_when_told_to) {
    for (int i = 0; i < 4; ++i) world.send(0, "a", std::to_string(i));
    world.start();
    world.run();
    EXPECT_EQ(world.committed(0), Offset{4});
    world.stop();
    world.transport.log[{"tasks", {0}}].clear();
    world.send(0, "a", "new");
    world.transport.committed.clear();
    world.start();
    world.run();
    EXPECT_THAT(world.supervisor->unready(), ::testing::Contains(HasSubstr("topic_recreated")));
    world.stop();
    world.section.lost_position = HandlerSection::LostPosition::kRestart;
    world.start();
    world.run();
    EXPECT_THAT(world.rows(), HasSubstr("a:new;"));
}

TEST_F(Engine, a_published_event_goes_out_once_confirmed_with_the_same_id_after_a_crash) {
    world.model->on_message = [](ShardServices& services, const MessageInput& input) {
        auto published = services.publish({"out", "k", R"({"n":1})"});
        if (!published) return dead_letter(published.error().message.c_str());
        return ModelHandler::insert(services, input);
    };
    world.transport.unavailable.insert("out");
    world.send(0, "a", "1");
    world.start();
    world.run();
    EXPECT_EQ(world.rows(), "a:1;");
    EXPECT_EQ(world.committed(0).value, 0) << "passed a record whose event is not confirmed";
    world.kill();
    world.transport.unavailable.clear();
    world.start();
    world.run();
    auto out = world.transport.all_of("out");
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(out[0].key, "k");
    EXPECT_EQ(out[0].header("millrace-hops"), "1");
    const auto event = boost::json::parse(*out[0].value).as_object();
    EXPECT_TRUE(is_uuid(event.at("event_id").as_string()));
    EXPECT_EQ(event.at("schema_version"), 1);
    EXPECT_EQ(world.committed(0), Offset{1});
    world.kill();
    world.start();
    world.run();
    EXPECT_EQ(world.transport.all_of("out").size(), 1U);
}

TEST_F(Engine, an_unconfirmed_event_holds_the_group_offset_also_after_a_restart) {
    world.model->on_message = [](ShardServices& services, const MessageInput& input) {
        if (task_of(input) == "tell" && !services.publish({"out", "k", R"({"n":1})"}))
            return dead_letter("not published");
        return ModelHandler::insert(services, input);
    };
    for (const auto state : {StateKind::kPerUser, StateKind::kPerPartition}) {
        world.model->described.state = state;
        world.section.name = state == StateKind::kPerUser ? "users" : "partitions";
        const auto committed = [&] {
            world.runtime.advance(milliseconds(200));
            return world.transport.committed["test." + world.section.name][{"tasks", {0}}];
        };
        world.transport.unavailable.insert("out");
        world.send(0, "a", "tell");
        for (int times = 0; times < 3; ++times) {
            world.start();
            world.send(0, "b", "quiet");
            world.run();
            EXPECT_EQ(committed(), Offset{0});
            world.kill();
        }
        world.start();
        world.transport.lose();
        EXPECT_EQ(committed(), Offset{0});
        world.transport.unavailable.clear();
        world.runtime.advance(milliseconds(60'000));
        EXPECT_EQ(committed(),
                  Offset{static_cast<std::int64_t>(world.transport.log[{"tasks", {0}}].size())});
        world.kill();
    }
}

TEST_F(Engine, an_event_its_topic_refuses_for_good_becomes_a_dead_letter) {
    world.model->on_message = [](ShardServices& services, const MessageInput&) {
        (void)services.publish({"out", "k", R"({"n":1})"});
        return Outcome{};
    };
    world.transport.refusing.insert("out");
    world.start();
    world.send(0, "a", "1");
    world.runtime.advance(milliseconds(5'000));
    ASSERT_EQ(world.transport.all_of("tasks-dlq").size(), 1U);
    EXPECT_EQ(world.transport.all_of("tasks-dlq")[0].header("millrace-error-class"), "outbox");
    EXPECT_EQ(world.committed(0), Offset{1});
}

TEST_F(Engine, a_record_that_was_published_over_and_over_is_a_loop) {
    world.start();
    world.transport.append({"tasks", {0}},
                           {{}, std::nullopt, world.event("a", "1"), {{"millrace-hops", "17"}}});
    world.run();
    ASSERT_EQ(world.transport.all_of("tasks-dlq").size(), 1U);
    EXPECT_EQ(world.transport.all_of("tasks-dlq")[0].header("millrace-error-class"), "loop");
}

TEST_F(Engine, a_dead_letter_that_cannot_be_written_holds_its_key_only) {
    world.transport.unavailable.insert("tasks-dlq");
    world.model->on_message = [](ShardServices& services, const MessageInput& input) {
        return task_of(input) == "bad" ? dead_letter("no") : ModelHandler::insert(services, input);
    };
    world.start();
    world.send(0, "a", "bad");
    world.send(0, "a", "after");
    world.send(0, "b", "good");
    world.runtime.advance(milliseconds(5'000));
    EXPECT_EQ(world.rows(), "b:good;");
    EXPECT_EQ(world.committed(0), Offset{0});
    EXPECT_THAT(world.supervisor->status(), HasSubstr("dead letter cannot be written"));
    world.transport.unavailable.clear();
    world.runtime.advance(milliseconds(60'000));
    EXPECT_EQ(std::ranges::count(world.rows(), ';'), 2);
    EXPECT_EQ(world.transport.all_of("tasks-dlq").size(), 1U);
    EXPECT_EQ(world.committed(0), Offset{3});
}

TEST_F(Engine, a_failing_input_undoes_only_its_own_effects) {
    world.model->on_message = [](ShardServices& services, const MessageInput& input) {
        auto outcome = ModelHandler::insert(services, input);
        return task_of(input) == "bad" ? dead_letter("after the insert") : outcome;
    };
    world.section.shards = 1;
    for (const char* task : {"1", "bad", "2"}) world.send(0, "a", task);
    world.start();
    world.run();
    EXPECT_EQ(world.rows(), "a:1;a:2;");
}

TEST_F(Engine, a_statement_that_takes_the_transaction_away_hurts_only_its_own_input) {
    world.model->on_message = [](ShardServices& services, const MessageInput& input) {
        if (task_of(input) == "bad") {
            (void)services.exec("INSERT OR ROLLBACK INTO rows(n) VALUES(1)", {}, {});
            (void)services.exec("INSERT OR ROLLBACK INTO rows(n) VALUES(1)", {}, {});
        }
        return ModelHandler::insert(services, input);
    };
    world.section.shards = 1;
    for (const char* user : {"a", "b", "c"}) world.send(0, user, user);
    world.send(0, "b", "bad");
    world.send(0, "d", "d");
    world.start();
    world.run();
    EXPECT_EQ(world.rows(), "a:a;b:b;c:c;d:d;");
    ASSERT_EQ(world.transport.all_of("tasks-dlq").size(), 1U);
    EXPECT_EQ(world.transport.all_of("tasks-dlq")[0].header("millrace-error-class"), "handler");
    EXPECT_EQ(world.committed(0), Offset{5});
}

TEST_F(Engine, a_plugin_cannot_touch_the_hosts_tables_or_transactions) {
    std::vector<bool> allowed;
    world.model->on_message = [&](ShardServices& services, const MessageInput&) {
        for (const char* sql : {"DELETE FROM _origins", "SELECT * FROM _meta", "COMMIT",
                                "SAVEPOINT x", "PRAGMA user_version = 3", "ATTACH ':memory:' AS m",
                                "CREATE TABLE t(a INTEGER PRIMARY KEY)"}) {
            allowed.push_back(services.exec(sql, {}, {}).has_value());
        }
        return Outcome{};
    };
    world.start();
    world.send(0, "a", "1");
    world.run();
    EXPECT_THAT(allowed, ::testing::ElementsAre(false, false, false, false, false, false, false));
}

TEST_F(Engine, a_table_without_primary_key_is_refused) {
    world.model->on_migrate = [](ShardServices& services) -> Result<void> {
        (void)services.exec("CREATE TABLE bare(a TEXT)", {}, {});
        return {};
    };
    world.start();
    world.run();
    EXPECT_THAT(world.supervisor->unready(),
                ::testing::Contains(HasSubstr("bare needs a PRIMARY KEY")));
}

TEST_F(Engine, a_pending_input_holds_its_lane_until_it_is_completed) {
    ShardServices* services_of_shard = nullptr;
    std::optional<CompletionToken> token;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        if (task_of(input) != "slow") return ModelHandler::insert(services, input);
        services_of_shard = &services;
        token = input.token;
        return Outcome{OutcomeKind::kPending, {}, {}};
    };
    world.model->on_complete = [](ShardServices& services, const MessageInput& input,
                                  std::string_view payload) {
        EXPECT_EQ(payload, "");
        return ModelHandler::insert(services, input);
    };
    world.section.shards = 1;
    world.start();
    world.send(0, "a", "slow");
    world.send(0, "a", "after");
    world.send(0, "b", "other");
    world.run();
    EXPECT_EQ(world.rows(), "b:other;");
    services_of_shard->complete({token->input, token->attempt + 1}, "late");
    services_of_shard->complete(*token, "");
    world.run();
    EXPECT_EQ(world.rows(), "b:other;a:slow;a:after;");
    EXPECT_EQ(world.committed(0), Offset{3});
}

TEST_F(Engine, a_pending_input_that_is_never_completed_is_a_failed_attempt) {
    world.model->on_message = [](ShardServices&, const MessageInput&) {
        return Outcome{OutcomeKind::kPending, {}, {}};
    };
    world.start();
    world.send(0, "a", "1");
    world.runtime.advance(milliseconds(40'000));
    ASSERT_EQ(world.transport.all_of("tasks-dlq").size(), 1U);
    EXPECT_EQ(world.transport.all_of("tasks-dlq")[0].header("millrace-error-class"), "timeout");
}

TEST_F(Engine, effects_made_before_pending_are_a_fault) {
    world.model->on_message = [](ShardServices& services, const MessageInput& input) {
        (void)ModelHandler::insert(services, input);
        return Outcome{OutcomeKind::kPending, {}, {}};
    };
    world.start();
    world.send(0, "a", "1");
    world.run();
    EXPECT_EQ(world.rows(), "");
    EXPECT_EQ(world.transport.all_of("tasks-dlq").size(), 1U);
}

TEST_F(Engine, a_call_over_its_time_is_undone_and_tried_again) {
    int calls = 0;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        auto outcome = ModelHandler::insert(services, input);
        if (++calls == 1) world.runtime.manual_clock().elapsed += std::chrono::seconds(6);
        return outcome;
    };
    world.start();
    world.send(0, "a", "1");
    world.runtime.advance(milliseconds(5'000));
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(world.rows(), "a:1;");
}

TEST_F(Engine, a_timer_survives_a_crash_and_fires_once) {
    const auto due = world.runtime.clock().now() + std::chrono::hours(2);
    std::vector<std::string> fired;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        (void)services.set_timer(task_of(input), "a", due,
                                 "payload of " + std::string(task_of(input)));
        if (task_of(input) == "cancelled") (void)services.cancel_timer("cancelled");
        return Outcome{};
    };
    world.model->on_timer = [&](ShardServices&, const TimerInput& timer) {
        fired.push_back(std::string(timer.payload));
        return Outcome{};
    };
    world.start();
    for (const char* task : {"kept", "cancelled"}) world.send(0, "a", task);
    world.run();
    world.kill();
    world.start();
    world.runtime.advance(milliseconds(7'100'000));
    EXPECT_TRUE(fired.empty());
    world.runtime.advance(milliseconds(200'000));
    EXPECT_THAT(fired, ::testing::ElementsAre("payload of kept"));
    world.kill();
    world.start();
    world.runtime.advance(milliseconds(10'000));
    EXPECT_EQ(fired.size(), 1U);
}

TEST_F(Engine, a_call_is_made_after_the_commit_with_one_key_and_tried_again_while_it_may_pass) {
    std::vector<int> statuses;
    world.model->on_message = [](ShardServices& services, const MessageInput&) {
        (void)services.call({"c1", "a", "POST", "http://hook/", {}, "body", "context"});
        return Outcome{};
    };
    world.model->on_response = [&](ShardServices&, const ResponseInput& response) {
        EXPECT_EQ(response.payload, "context");
        EXPECT_EQ(response.tries, 3U);
        statuses.push_back(response.status);
        return Outcome{};
    };
    world.http.answers = {{503, "", {}}, {0, "refused", {}}};
    world.start();
    world.send(0, "a", "1");
    world.runtime.advance(milliseconds(30'000));
    EXPECT_THAT(statuses, ::testing::ElementsAre(200));
    ASSERT_EQ(world.http.requests.size(), 3U);
    EXPECT_EQ(world.http.requests[0].headers, world.http.requests[2].headers);
    world.kill();
    world.start();
    world.runtime.advance(milliseconds(5'000));
    EXPECT_EQ(world.http.requests.size(), 3U);
}

TEST_F(Engine, a_rebalance_loses_and_repeats_nothing) {
    world.start();
    for (int i = 0; i < 20; ++i) world.send(i % 3, "u" + std::to_string(i % 4), std::to_string(i));
    world.transport.rebalance();
    for (int i = 20; i < 40; ++i) world.send(i % 3, "u" + std::to_string(i % 4), std::to_string(i));
    world.run();
    world.transport.rebalance();
    world.run();
    EXPECT_EQ(std::ranges::count(world.rows(), ';'), 40);
}

// The partition is taken away so many turns of the loop after a record has come: while it is read,
// on its way to its shard, in its lane, handled, or committed.
void rebalance_after(EngineWorld& world, int turns) {
    if (turns == 0) return world.transport.rebalance();
    world.runtime.loop().post([&world, turns] { rebalance_after(world, turns - 1); });
}

TEST_F(Engine, a_record_is_handled_once_wherever_it_is_when_its_partition_is_taken_away) {
    world.start();
    for (int turns = 0; turns < 12; ++turns) {
        world.send(0, "u", std::to_string(turns));
        rebalance_after(world, turns);
        world.run();
    }
    EXPECT_EQ(world.rows(), "u:0;u:1;u:2;u:3;u:4;u:5;u:6;u:7;u:8;u:9;u:10;u:11;");
    EXPECT_EQ(world.committed(0), Offset{12});
}

void lose_after(EngineWorld& world, int turns) {
    if (turns == 0) return world.transport.lose();
    world.runtime.loop().post([&world, turns] { lose_after(world, turns - 1); });
}

TEST_F(Engine, a_partition_that_is_lost_and_given_back_at_once_goes_on_where_it_was) {
    for (const auto state : {StateKind::kPerUser, StateKind::kPerPartition}) {
        world.model->described.state = state;
        world.section.name = state == StateKind::kPerUser ? "model" : "partitions";
        world.start();
        for (int turns = 0; turns < 16; ++turns) {
            const std::string task = std::to_string(turns);
            world.send(0, "u", state == StateKind::kPerUser ? task : "again " + task);
            lose_after(world, turns);
            world.run();
            const auto status = boost::json::parse(world.supervisor->status()).at("handlers").at(0);
            ASSERT_EQ(status.at("state").as_string(), "running") << turns;
            ASSERT_TRUE(status.at("partitions").at(0).at("held").is_null()) << turns;
        }
        const auto& group = world.transport.committed["test." + world.section.name];
        EXPECT_EQ(group.at({"tasks", {0}}), Offset{state == StateKind::kPerUser ? 16 : 32});
        world.kill();
    }
}

TEST_F(Engine, what_is_let_go_in_a_rebalance_makes_room_again) {
    world.section.max_buffered = 20;
    bool failing = true;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        return failing ? retry("not yet") : ModelHandler::insert(services, input);
    };
    int sent = 30;
    for (int i = 0; i < sent; ++i) world.send(0, "u" + std::to_string(i), "t");
    for (const auto state : {StateKind::kPerUser, StateKind::kPerPartition}) {
        world.model->described.state = state;
        world.section.name = state == StateKind::kPerUser ? "users" : "partitions";
        failing = true;
        world.start();
        world.run();
        failing = false;
        world.transport.rebalance();
        world.run();
        world.send(1, "u", "t");
        ++sent;
        world.run();
        const auto status = boost::json::parse(world.supervisor->status()).at("handlers").at(0);
        EXPECT_EQ(status.at("queue_records").to_number<int>(), 0);
        EXPECT_EQ(status.at("totals").at("acked").to_number<int>(), sent);
        world.kill();
    }
}

TEST_F(Engine, intake_stops_at_the_bound_and_goes_on_below_it) {
    world.section.max_buffered = 200;
    world.model->on_message = [](ShardServices& services, const MessageInput& input) {
        return input.attempt == 1 ? retry("first") : ModelHandler::insert(services, input);
    };
    world.section.shards = 1;
    for (int i = 0; i < 1'000; ++i) world.send(0, "u" + std::to_string(i), "t");
    world.start();
    EXPECT_LE(boost::json::parse(world.supervisor->status())
                  .at("handlers")
                  .at(0)
                  .at("queue_records")
                  .to_number<int>(),
              700);
    world.runtime.advance(milliseconds(20'000));
    EXPECT_EQ(std::ranges::count(world.rows(), ';'), 1'000);
}

TEST_F(Engine, stopping_drains_what_is_ready_and_commits_it) {
    world.start();
    for (int i = 0; i < 10; ++i) world.send(0, "a", std::to_string(i));
    world.stop();
    const auto committed = world.transport.committed["test.model"][{"tasks", {0}}];
    world.start();
    world.run();
    EXPECT_EQ(std::ranges::count(world.rows(), ';'), 10);
    EXPECT_EQ(world.committed(0), Offset{10});
    EXPECT_LE(committed, Offset{10});
}

TEST_F(Engine, a_handler_per_partition_has_a_state_file_for_each) {
    world.model->described.state = StateKind::kPerPartition;
    world.start();
    world.send(0, "a", "1");
    world.send(2, "a", "2");
    world.run();
    world.transport.rebalance();
    world.run();
    EXPECT_EQ(world.rows(), "a:1;a:2;");
    EXPECT_TRUE(std::filesystem::exists(world.directory.path() + "/handlers/model/tasks-2.db"));
}

TEST_F(Engine, a_broadcast_handler_pushes_in_order_and_never_dead_letters) {
    world.model->described.state = StateKind::kNone;
    world.model->described.broadcast = true;
    world.model->on_message = [](ShardServices& services, const MessageInput& input) {
        if (task_of(input) == "bad") return retry("no");
        EXPECT_FALSE(services.exec("SELECT 1", {}, {}).has_value());
        EXPECT_FALSE(services.publish({"out", "k", "{}"}).has_value());
        (void)services.push({*input.event.envelope.user_id,
                             input.origin,
                             input.event.record->offset,
                             {},
                             "",
                             {},
                             "",
                             task_of(input)});
        return Outcome{};
    };
    world.start();
    // One batch: those of a user are not brought together, as a client's cursor is a position.
    for (const char* task : {"1", "bad", "2"}) world.send(0, "a", task);
    world.send(0, "b", "3");
    world.send(0, "a", "4");
    world.run();
    std::vector<std::string> pushes;
    for (const auto& line : world.push.log) {
        if (line.starts_with("push")) pushes.push_back(line);
    }
    EXPECT_THAT(pushes, ::testing::ElementsAre("push a 1", "push a 2", "push b 3", "push a 4"));
    EXPECT_EQ(world.push.log.back(), "next tasks/0 5");
    EXPECT_TRUE(world.transport.all_of("tasks-dlq").empty());
    EXPECT_TRUE(world.transport.committed["test.model"].empty());
}

TEST_F(Engine, a_group_handler_that_pushes_is_refused) {
    bool refused = false;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        refused =
            !services.push({"a", input.origin, input.event.record->offset, {}, "", {}, "", "{}"})
                 .has_value();
        return Outcome{};
    };
    world.start();
    world.send(0, "a", "1");
    world.run();
    EXPECT_TRUE(refused);
}

TEST_F(Engine, an_unknown_question_names_the_known_ones) {
    world.start();
    std::string message;
    world.supervisor->query("model", "nothing", {},
                            [&](const Result<std::string>& got) { message = got.error().message; });
    EXPECT_THAT(message, HasSubstr("rows"));
}

}  // namespace
}  // namespace millrace::engine
