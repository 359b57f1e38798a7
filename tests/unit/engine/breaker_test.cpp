// The breaker of a partition: when it opens, what it holds, how it is tried, what it leaves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/engine_world.hpp"

namespace millrace::engine {
namespace {

using testing::dead_letter;
using testing::EngineWorld;
using ::testing::HasSubstr;
using testing::ModelHandler;
using testing::retry;

constexpr milliseconds kRevokeTimeout{15'000};  // as in Surroundings

struct OpenBreaker : ::testing::Test {
    EngineWorld world;

    std::size_t dead_letters() { return world.transport.all_of("tasks-dlq").size(); }
    std::ptrdiff_t effects() { return std::ranges::count(world.rows(), ';'); }
};

TEST_F(OpenBreaker, an_open_breaker_holds_the_partition_and_probes_until_one_succeeds) {
    bool away = true;
    int calls = 0;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        ++calls;
        return away ? dead_letter("away") : ModelHandler::insert(services, input);
    };
    world.section.breaker.streak = 5;
    world.section.max_batch = 5;
    world.section.shards = 1;
    world.start();
    for (int i = 0; i < 200; ++i) world.send(0, "u" + std::to_string(i), "t");
    world.runtime.settle();
    EXPECT_LT(calls, 20);
    EXPECT_EQ(world.partition(0).at("breaker"), "open");
    EXPECT_EQ(world.partition(0).at("waits_for").at("reason"), "breaker");
    EXPECT_THAT(world.metrics_text(), HasSubstr(R"(millrace_breaker_open{handler="model"} 1)"));
    const int before = calls;
    world.runtime.advance(milliseconds(10'000));
    EXPECT_GT(calls, before + 1);  // 1 s, 2 s, 4 s
    EXPECT_LT(calls, before + 8);
    away = false;
    ASSERT_TRUE(
        world.runtime.advance_until([&] { return world.partition(0).at("breaker") == "closed"; }));
    world.run();
    EXPECT_EQ(world.committed(0), Offset{200});
    EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(world.rows(), ';')) +
                  world.transport.all_of("tasks-dlq").size(),
              200U);
    EXPECT_LT(world.transport.all_of("tasks-dlq").size(), 30U);
}

TEST_F(OpenBreaker, while_a_breaker_is_open_the_budget_stands_still_and_other_partitions_go_on) {
    bool away = true;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        return away && input.origin.partition.value == 0 ? retry("away")
                                                         : ModelHandler::insert(services, input);
    };
    world.section.breaker.streak = 3;
    world.section.retry.budget = milliseconds(5'000);
    world.start();
    for (int i = 0; i < 10; ++i) world.send(0, "u" + std::to_string(i), "t");
    world.send(1, "v", "t");
    world.runtime.advance(milliseconds(120'000));
    EXPECT_TRUE(world.transport.all_of("tasks-dlq").empty());
    EXPECT_EQ(world.rows(), "v:t;");
    away = false;
    world.runtime.advance(milliseconds(70'000));
    EXPECT_EQ(std::ranges::count(world.rows(), ';'), 11);
    EXPECT_EQ(world.committed(0), Offset{10});
}

TEST_F(OpenBreaker, what_nobody_can_read_does_not_open_a_breaker) {
    world.section.breaker.streak = 3;
    world.start();
    for (int i = 0; i < 50; ++i) world.transport.append({"tasks", {0}}, std::nullopt, "not JSON");
    world.run();
    EXPECT_EQ(world.partition(0).at("breaker"), "closed");
    EXPECT_EQ(world.transport.all_of("tasks-dlq").size(), 50U);
}

TEST_F(OpenBreaker, what_it_held_is_not_spent_after_a_restart_and_it_opens_again) {
    bool away = true;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        return away ? retry("away") : ModelHandler::insert(services, input);
    };
    world.section.breaker.streak = 3;
    world.section.retry.budget = milliseconds(5'000);
    world.start();
    for (int i = 0; i < 10; ++i) world.send(0, "u" + std::to_string(i), "t");
    for (int life = 0; life < 5; ++life) {
        world.runtime.advance(milliseconds(60'000));
        EXPECT_EQ(world.partition(0).at("breaker"), "open");
        world.kill();
        world.runtime.advance(milliseconds(3'600'000));
        world.start();
    }
    EXPECT_EQ(dead_letters(), 0U);
    away = false;
    world.runtime.advance(milliseconds(70'000));
    EXPECT_EQ(effects(), 10);
    EXPECT_EQ(world.committed(0), Offset{10});
}

TEST_F(OpenBreaker, a_record_that_failed_as_a_probe_has_its_own_budget_and_no_more) {
    bool away = true;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        const bool poison = testing::task_of(input) == "poison";
        return away || poison ? retry("away") : ModelHandler::insert(services, input);
    };
    world.section.breaker = {
        .streak = 3, .initial = milliseconds(500), .maximum = milliseconds(500)};
    world.section.retry = {milliseconds(5'000), milliseconds(2'000), milliseconds(2'000), 1.0};
    world.section.shards = 1;
    world.start();
    world.send(0, "u", "t");
    world.send(0, "v", "t");
    world.send(0, "w", "t");
    world.runtime.advance(milliseconds(60'000));
    world.send(0, "p", "poison");
    world.runtime.advance(milliseconds(60'000));
    ASSERT_EQ(dead_letters(), 0U);
    away = false;
    ASSERT_TRUE(
        world.runtime.advance_until([&] { return world.partition(0).at("breaker") == "closed"; }));
    world.runtime.advance(milliseconds(8'000));
    EXPECT_EQ(dead_letters(), 1U);
    EXPECT_EQ(effects(), 3);
}

TEST_F(OpenBreaker, is_tried_with_each_held_record_in_turn) {
    bool away = true;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        const bool poison = testing::task_of(input) == "poison";
        return away || poison ? retry("away") : ModelHandler::insert(services, input);
    };
    world.section.breaker.streak = 3;
    world.section.shards = 1;
    world.start();
    world.send(0, "p", "poison");
    for (int i = 0; i < 5; ++i) world.send(0, "u" + std::to_string(i), "t");
    world.runtime.advance(milliseconds(10'000));
    ASSERT_EQ(world.partition(0).at("breaker"), "open");
    away = false;
    ASSERT_TRUE(world.runtime.advance_until(
        [&] { return world.partition(0).at("breaker") == "closed"; }));
    world.runtime.advance(milliseconds(30'000));
    EXPECT_EQ(effects(), 5);
    EXPECT_EQ(dead_letters(), 1U);
    EXPECT_EQ(world.committed(0), Offset{6});
}

// Its last attempts end when it is let go: a gate that closed after that would hold every record
// of it at its return, with nobody to open it.
TEST_F(OpenBreaker, none_opens_for_a_partition_that_is_being_let_go) {
    bool away = true;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        return away ? Outcome{OutcomeKind::kPending, {}, {}}
                    : ModelHandler::insert(services, input);
    };
    world.section.breaker.streak = 2;
    world.section.pending_timeout = kRevokeTimeout;
    world.start();
    world.send(0, "u", "t");
    world.send(0, "v", "t");
    world.runtime.settle();
    world.transport.rebalance();
    world.runtime.park("model");
    world.runtime.advance(kRevokeTimeout);
    away = false;
    world.runtime.unpark();
    world.runtime.advance(milliseconds(5'000));
    EXPECT_EQ(world.partition(0).at("breaker"), "closed");
    EXPECT_EQ(effects(), 2);
    EXPECT_EQ(world.committed(0), Offset{2});
}

}  // namespace
}  // namespace millrace::engine
