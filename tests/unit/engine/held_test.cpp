// What holds inputs, and what people see of it: attempts over restarts, the inbox, bounds, and
// partitions that are taken away while work is under way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>

#include "events/time.hpp"
#include "support/engine_world.hpp"

namespace millrace::engine {
namespace {

using testing::dead_letter;
using testing::EngineWorld;
using ::testing::HasSubstr;
using testing::ModelHandler;
using testing::retry;
using testing::task_of;

struct Held : ::testing::Test {
    EngineWorld world;

    RedriveRecord record_at(int partition, std::size_t offset) {
        const TopicPartition origin{"tasks", {partition}};
        const auto& stored = world.transport.log.at(origin).at(offset);
        return {origin,
                Offset{static_cast<std::int64_t>(offset)},
                stored.timestamp,
                stored.key,
                stored.value,
                stored.headers,
                1};
    }
};

TEST_F(Held, attempts_first_failure_and_next_time_survive_a_restart) {
    std::vector<std::uint32_t> attempts;
    world.model->on_message = [&](ShardServices&, const MessageInput& input) {
        attempts.push_back(input.attempt);
        return retry("away");
    };
    world.section.retry = {milliseconds(10'000), milliseconds(1'000), milliseconds(4'000), 2.0};
    world.start();
    world.send(0, "u", "t");
    const auto begun = world.runtime.clock().now();
    world.runtime.advance(milliseconds(1'500));
    ASSERT_THAT(attempts, ::testing::ElementsAre(1, 2));
    world.kill();
    world.start();
    // The wait goes on where it was: the third attempt is not made at once.
    world.run();
    EXPECT_EQ(attempts.size(), 2U);
    ASSERT_TRUE(world.runtime.advance_until(
        [&] { return !world.transport.all_of("tasks-dlq").empty(); }, milliseconds(20'000)));
    for (std::size_t i = 0; i < attempts.size(); ++i) EXPECT_EQ(attempts[i], i + 1);
    const auto letter = world.transport.all_of("tasks-dlq").front();
    EXPECT_EQ(letter.header("millrace-attempts"), std::to_string(attempts.size()));
    EXPECT_EQ(letter.header("millrace-error-class"), "retries-exhausted");
    EXPECT_EQ(letter.header("millrace-first-failure").substr(0, 19),
              format_time(begun).substr(0, 19));
    EXPECT_LE(world.runtime.clock().now() - begun, std::chrono::seconds(12));
}

TEST_F(Held, a_partition_says_which_key_holds_it_and_why) {
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        return task_of(input) == "bad" ? retry("no route") : ModelHandler::insert(services, input);
    };
    world.start();
    world.send(0, "key-7", "bad");
    world.send(0, "u", "good");
    world.run();
    const auto held = world.partition(0).at("waits_for");
    ASSERT_TRUE(held.is_object()) << boost::json::serialize(held);
    EXPECT_EQ(held.at("key"), "key-7");
    EXPECT_EQ(held.at("reason"), "retry");
    EXPECT_EQ(held.at("what"), "tasks/0 offset 0");
    EXPECT_EQ(held.at("error"), "no route");
    EXPECT_THAT(
        world.metrics_text(),
        HasSubstr(
            R"(millrace_held{handler="model",partition="0",reason="retry",topic="tasks"} 1)"));
    EXPECT_TRUE(world.partition(1).at("waits_for").is_null());
}

TEST_F(Held, a_record_behind_a_key_that_another_partition_holds_names_it) {
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        return task_of(input) == "bad" ? retry("no") : ModelHandler::insert(services, input);
    };
    world.start();
    world.send(0, "u", "bad");
    world.run();
    world.send(1, "u", "behind");
    world.run();
    EXPECT_EQ(world.partition(1).at("waits_for").at("what"), "tasks/0 offset 0");
}

TEST_F(Held, a_redriven_record_runs_once_and_survives_a_crash) {
    bool away = true;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        return away ? dead_letter("away") : ModelHandler::insert(services, input);
    };
    world.start();
    world.send(0, "u", "t");
    world.run();
    ASSERT_EQ(world.transport.all_of("tasks-dlq").size(), 1U);
    bool answered = false;
    away = false;
    std::optional<Result<void>> answer;
    world.supervisor->redrive("model", record_at(0, 0), [&](Result<void> got) { answer = got; });
    while (!answer) world.runtime.advance(milliseconds(1));
    ASSERT_TRUE(*answer) << answer->error().message;
    world.kill();
    world.start();
    world.run();
    EXPECT_EQ(world.rows(), "u:t;");
    world.supervisor->redrive("model", record_at(0, 0), [&](Result<void> got) {
        answered = true;
        EXPECT_TRUE(got);
    });
    world.run();
    EXPECT_TRUE(answered);
    EXPECT_EQ(world.rows(), "u:t;");  // its identity is known
    EXPECT_EQ(world.status().at("inbox").to_number<int>(), 0);
    EXPECT_EQ(world.committed(0), Offset{1});
}

TEST_F(Held, a_redriven_record_that_fails_again_becomes_a_dead_letter_again) {
    world.model->on_message = [&](ShardServices&, const MessageInput&) {
        return dead_letter("no");
    };
    world.start();
    world.send(0, "u", "t");
    world.run();
    world.supervisor->redrive("model", record_at(0, 0),
                              [](const Result<void>& got) { EXPECT_TRUE(got); });
    world.run();
    const auto letters = world.transport.all_of("tasks-dlq");
    ASSERT_EQ(letters.size(), 2U);
    EXPECT_EQ(letters[0].value, letters[1].value);
    EXPECT_EQ(letters[1].header("millrace-offset"), "0");
    EXPECT_EQ(world.status().at("inbox").to_number<int>(), 0);
}

TEST_F(Held, a_redrive_to_nowhere_says_why) {
    world.start();
    const auto refused = [&](const std::string& handler, RedriveRecord record) {
        std::string message;
        world.supervisor->redrive(handler, std::move(record), [&](const Result<void>& got) {
            message = got ? "" : got.error().message;
        });
        world.run();
        return message;
    };
    world.send(0, "u", "t");
    EXPECT_THAT(refused("nobody", record_at(0, 0)), HasSubstr("there is no handler 'nobody'"));
    auto foreign = record_at(0, 0);
    foreign.origin.topic = "others";
    EXPECT_THAT(refused("model", foreign), HasSubstr("does not read others"));
}

TEST_F(Held, reading_stops_at_the_bound_of_intervals_and_goes_on_below_it) {
    bool away = true;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        return away && task_of(input) == "odd" ? retry("away")
                                               : ModelHandler::insert(services, input);
    };
    world.section.max_intervals = 10;
    world.section.shards = 1;
    world.section.max_in_flight = world.section.max_buffered = 100'000;
    world.section.breaker.streak = 1'000'000;
    world.section.breaker.ratio = 1;
    world.section.retry = {milliseconds(1'000'000), milliseconds(10'000), milliseconds(10'000), 1};
    world.start();
    for (int i = 0; i < 400; ++i) {
        world.send(0, "u" + std::to_string(i), i % 2 == 0 ? "odd" : "even");
        world.runtime.settle();
    }
    EXPECT_EQ(world.partition(0).at("bound"), "max_intervals");
    EXPECT_EQ(world.partition(0).at("waits_for").at("key"), "u0");
    EXPECT_LT(world.status().at("totals").at("acked").to_number<int>(), 20);
    away = false;
    world.runtime.advance(milliseconds(30'000));
    EXPECT_EQ(world.committed(0), Offset{400});
    EXPECT_TRUE(world.partition(0).at("bound").is_null());
}

// What was done ahead of a held record before the restart must be read again to be passed.
TEST_F(Held, reading_goes_on_after_a_restart_with_as_many_intervals_as_may_be) {
    bool away = true;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        return away && task_of(input) == "odd" ? retry("away")
                                               : ModelHandler::insert(services, input);
    };
    world.section.max_intervals = 10;
    world.section.shards = 1;
    world.section.breaker.streak = 1'000'000;
    world.section.breaker.ratio = 1;
    world.section.retry = {milliseconds(1'000'000), milliseconds(1'000), milliseconds(1'000), 1};
    world.transport.max_batch = 2;
    world.start();
    for (int i = 0; i < 100; ++i) {
        world.send(0, "u" + std::to_string(i), i % 2 == 0 ? "odd" : "even");
        world.runtime.settle();
    }
    ASSERT_EQ(world.partition(0).at("bound"), "max_intervals");
    world.kill();
    away = false;
    world.section.max_buffered = 2;  // a batch at a time
    world.start();
    world.runtime.advance(milliseconds(10'000));
    EXPECT_EQ(world.committed(0), Offset{100});
    EXPECT_TRUE(world.partition(0).at("bound").is_null());
}

TEST_F(Held, a_partition_says_at_which_limit_of_its_handler_reading_stopped) {
    bool away = true;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        return away ? retry("away") : ModelHandler::insert(services, input);
    };
    const auto bound = [&] { return world.partition(2).at("bound"); };
    const auto expect_bound_until_back = [&](const char* name) {
        away = true;
        world.start();
        for (int i = 0; i < 20; ++i) world.send(0, "u" + std::to_string(i), "t");
        world.run();
        EXPECT_EQ(bound(), name);
        EXPECT_EQ(world.partition(0).at("bound"), name);
        away = false;
        world.runtime.advance(milliseconds(60'000));
        EXPECT_TRUE(bound().is_null()) << boost::json::serialize(bound());
        world.stop();
    };
    world.section.max_buffered = 20;
    expect_bound_until_back("max_buffered");
    world.section.max_buffered = 10'000;
    world.section.max_buffered_bytes = 1'000;
    expect_bound_until_back("max_buffered_bytes");
}

TEST_F(Held, reading_is_stopped_until_half_of_what_is_buffered_is_done_and_says_so) {
    std::vector<std::pair<ShardServices*, CompletionToken>> pending;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        pending.emplace_back(&services, input.token);
        return Outcome{OutcomeKind::kPending, {}, {}};
    };
    world.section.max_buffered = 20;
    world.start();
    for (int i = 0; i < 20; ++i) world.send(0, "u" + std::to_string(i), "t");
    world.run();
    ASSERT_EQ(pending.size(), 20U);
    for (std::size_t done = 0; done < 10; ++done) {
        EXPECT_EQ(world.partition(1).at("bound"), "max_buffered") << done;
        pending[done].first->complete(pending[done].second, "");
        world.run();
    }
    EXPECT_TRUE(world.partition(1).at("bound").is_null());
}

TEST_F(Held, a_partition_says_that_the_outbox_stopped_its_reading) {
    world.model->on_message = [](ShardServices& services, const MessageInput& input) {
        (void)services.publish({"out", task_of(input), "{}"});
        return ModelHandler::insert(services, input);
    };
    world.section.max_outbox = 5;
    world.section.shards = 1;
    world.transport.unavailable.insert("out");
    world.start();
    for (int i = 0; i < 5; ++i) world.send(0, "u", std::to_string(i));
    world.run();
    world.runtime.advance(milliseconds(1'000));
    EXPECT_EQ(world.partition(1).at("bound"), "max_outbox");
    world.transport.unavailable.clear();
    world.runtime.advance(milliseconds(90'000));
    EXPECT_EQ(world.transport.all_of("out").size(), 5U);
    EXPECT_TRUE(world.partition(1).at("bound").is_null());
}

TEST_F(Held, a_partition_says_that_nothing_more_is_run_while_so_much_is_pending) {
    std::vector<std::pair<ShardServices*, CompletionToken>> pending;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        pending.emplace_back(&services, input.token);
        return Outcome{OutcomeKind::kPending, {}, {}};
    };
    world.section.max_in_flight = 2;
    world.section.progress_timeout = milliseconds(5'000);
    world.start();
    for (int i = 0; i < 2; ++i) world.send(0, "u" + std::to_string(i), "t");
    world.run();
    world.send(1, "v", "t");
    world.runtime.advance(milliseconds(6'500));
    ASSERT_EQ(pending.size(), 2U);
    EXPECT_EQ(world.partition(1).at("bound"), "max_in_flight");
    EXPECT_TRUE(world.partition(1).at("waits_for").is_null());
    EXPECT_THAT(world.supervisor->unready(),
                ::testing::Contains(AllOf(HasSubstr("tasks/1"), HasSubstr("`max_in_flight`"))));
    pending[0].first->complete(pending[0].second, "");
    world.run();
    EXPECT_EQ(pending.size(), 3U);
    EXPECT_EQ(world.partition(1).at("waits_for").at("reason"), "pending");
}

TEST_F(Held, pending_inputs_are_bounded_over_all_shards) {
    std::vector<std::pair<ShardServices*, CompletionToken>> pending;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        pending.emplace_back(&services, input.token);
        return Outcome{OutcomeKind::kPending, {}, {}};
    };
    world.section.max_in_flight = 7;
    world.start();
    for (int i = 0; i < 40; ++i) world.send(i % 3, "u" + std::to_string(i), "t");
    world.run();
    EXPECT_EQ(pending.size(), 7U);
    for (std::size_t done = 0; done < 40; ++done) {
        ASSERT_LT(done, pending.size());
        EXPECT_LE(pending.size() - done, 7U);
        pending[done].first->complete(pending[done].second, "");
        world.run();
    }
    EXPECT_EQ(world.status().at("totals").at("acked").to_number<int>(), 40);
}

TEST_F(Held, a_partition_that_is_taken_away_is_drained_first) {
    ShardServices* services_of_shard = nullptr;
    std::optional<CompletionToken> token;
    int calls = 0;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        ++calls;
        services_of_shard = &services;
        token = input.token;
        return Outcome{OutcomeKind::kPending, {}, {}};
    };
    world.model->on_complete = [](ShardServices& services, const MessageInput& input,
                                  std::string_view) {
        return ModelHandler::insert(services, input);
    };
    world.start();
    world.send(0, "u", "t");
    world.run();
    world.transport.rebalance();
    world.run();
    services_of_shard->complete(*token, "");
    world.run();
    EXPECT_EQ(world.rows(), "u:t;");
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(world.committed(0), Offset{1});
}

TEST_F(Held, a_partition_goes_at_the_deadline_and_what_completes_late_commits_nothing) {
    ShardServices* services_of_shard = nullptr;
    std::vector<CompletionToken> tokens;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        services_of_shard = &services;
        tokens.push_back(input.token);
        return Outcome{OutcomeKind::kPending, {}, {}};
    };
    world.model->on_complete = [](ShardServices& services, const MessageInput& input,
                                  std::string_view) {
        return ModelHandler::insert(services, input);
    };
    world.section.pending_timeout = milliseconds(60'000);
    world.start();
    world.send(0, "u", "t");
    world.run();
    world.transport.rebalance();
    world.runtime.advance(milliseconds(15'100));
    ASSERT_EQ(tokens.size(), 2U);  // it came again
    services_of_shard->complete(tokens[0], "");
    world.run();
    EXPECT_EQ(world.rows(), "");
    EXPECT_EQ(world.committed(0), Offset{0});
    services_of_shard->complete(tokens[1], "");
    world.run();
    EXPECT_EQ(world.rows(), "u:t;");
}

// Its last attempt ends when its shard was told to forget it: it is read again, and what comes of
// it is decided then.
TEST_F(Held, a_record_that_was_let_go_gets_no_dead_letter_from_its_old_owner) {
    world.model->on_message = [&](ShardServices&, const MessageInput& input) {
        if (task_of(input) == "pends") return Outcome{OutcomeKind::kPending, {}, {}};
        return input.attempt == 1 ? retry("away") : dead_letter("no");
    };
    world.section.pending_timeout = milliseconds(60'000);
    world.section.retry.initial = world.section.retry.maximum = milliseconds(10'000);
    world.start();
    world.send(0, "u", "pends");
    world.send(0, "v", "dies");
    world.runtime.settle();
    world.transport.rebalance();
    world.runtime.park("model");
    world.runtime.advance(milliseconds(15'000));  // `revoke_timeout`
    world.runtime.unpark();
    world.runtime.advance(milliseconds(15'000));
    EXPECT_EQ(world.transport.all_of("tasks-dlq").size(), 1U);
}

}  // namespace
}  // namespace millrace::engine
