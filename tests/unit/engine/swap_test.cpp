// Another version of a handler takes over while records come: nothing is lost, repeated or put in
// another order, and what cannot take over leaves the old one as it was.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/engine_world.hpp"

namespace millrace::engine {
namespace {

using testing::EngineWorld;
using ::testing::HasSubstr;
using testing::ModelHandler;
using testing::retry;
using testing::task_of;

struct HotSwap : ::testing::Test {
    EngineWorld world;
    std::optional<Result<std::string>> answer;

    std::shared_ptr<ModelHandler> version(const std::string& number) {
        auto next = std::make_shared<ModelHandler>();
        next->described.version = number;
        return next;
    }
    void ask(std::shared_ptr<HandlerFactory> next) {
        answer.reset();
        world.supervisor->swap("model", std::move(next),
                               [this](Result<std::string> got) { answer = std::move(got); });
    }
    Result<std::string> swap(std::shared_ptr<HandlerFactory> next) {
        ask(std::move(next));
        EXPECT_TRUE(world.runtime.advance_until([&] { return answer.has_value(); }));
        return *answer;
    }
    std::string now_running() { return std::string(world.status().at("version").as_string()); }
};

TEST_F(HotSwap, the_next_version_goes_on_where_the_old_one_was) {
    std::string calls;
    const auto note = [&](const std::string& who) {
        return [&calls, who](ShardServices& services, const MessageInput& input) {
            calls += who;
            return ModelHandler::insert(services, input);
        };
    };
    world.model->on_message = note("1");
    world.start();
    world.send(0, "u", "a");
    world.run();
    const auto next = version("2");
    next->on_message = note("2");
    const auto swapped = swap(next);
    ASSERT_TRUE(swapped) << swapped.error().message;
    EXPECT_THAT(*swapped, HasSubstr(R"("from":"1","to":"2","shards":4)"));
    EXPECT_EQ(now_running(), "2");
    world.send(0, "u", "b");
    world.send(1, "v", "c");
    world.run();
    EXPECT_EQ(calls, "122");
    EXPECT_EQ(world.rows(), "v:c;u:a;u:b;");  // shard by shard
    EXPECT_EQ(world.committed(0), Offset{2});
}

TEST_F(HotSwap, under_a_stream_of_records_none_is_lost_repeated_or_out_of_order) {
    int by_old = 0;
    int by_new = 0;
    const auto count = [](int& calls) {
        return [&calls](ShardServices& services, const MessageInput& input) {
            ++calls;
            return ModelHandler::insert(services, input);
        };
    };
    world.model->on_message = count(by_old);
    world.section.max_batch = 3;
    world.start();
    for (int i = 0; i < 300; ++i) {
        world.send(i % 3, "u" + std::to_string(i % 7), std::to_string(i));
        if (i == 100) {
            const auto next = version("2");
            next->on_message = count(by_new);
            ask(next);
        }
        if (i % 5 == 0) world.runtime.advance(milliseconds(1));
    }
    world.run();
    ASSERT_TRUE(answer && *answer);
    EXPECT_GT(by_old, 0);
    EXPECT_GT(by_new, 0);
    EXPECT_EQ(by_old + by_new, 300);
    EXPECT_EQ(std::ranges::count(world.rows(), ';'), 300);
    for (int partition = 0; partition < 3; ++partition)
        EXPECT_EQ(world.committed(partition), Offset{100});
}

TEST_F(HotSwap, what_is_pending_completes_in_the_version_that_left_it_pending) {
    std::string calls;
    std::pair<ShardServices*, CompletionToken> pending;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        pending = {&services, input.token};
        return Outcome{OutcomeKind::kPending, {}, {}};
    };
    world.model->on_complete = [&](ShardServices& services, const MessageInput& input,
                                   std::string_view) {
        calls += "old";
        return ModelHandler::insert(services, input);
    };
    world.start();
    world.send(0, "u", "a");
    world.run();
    ask(version("2"));
    world.send(0, "u", "b");
    world.run();
    EXPECT_FALSE(answer);
    EXPECT_EQ(world.rows(), "");
    pending.first->complete(pending.second, "");
    world.run();
    ASSERT_TRUE(answer && *answer);
    EXPECT_EQ(calls, "old");
    EXPECT_EQ(world.rows(), "u:a;u:b;");
}

TEST_F(HotSwap, what_stays_pending_for_longer_than_a_call_may_take_is_handled_anew) {
    std::pair<ShardServices*, CompletionToken> pending;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        pending = {&services, input.token};
        return Outcome{OutcomeKind::kPending, {}, {}};
    };
    world.start();
    world.send(0, "u", "a");
    world.run();
    std::vector<std::uint32_t> attempts;
    const auto next = version("2");
    next->on_message = [&](ShardServices& services, const MessageInput& input) {
        attempts.push_back(input.attempt);
        return ModelHandler::insert(services, input);
    };
    ASSERT_TRUE(swap(next));
    pending.first->complete(pending.second, "too late");
    world.run();
    EXPECT_THAT(attempts, ::testing::ElementsAre(2));
    EXPECT_EQ(world.rows(), "u:a;");
    EXPECT_THAT(world.metrics_text(), HasSubstr("millrace_late_completions_total"));
}

TEST_F(HotSwap, a_version_that_cannot_be_made_leaves_the_old_one_as_it_was) {
    world.start();
    world.send(0, "u", "a");
    world.run();
    const auto next = version("2");
    next->described.state_version = 2;
    next->on_migrate = [](ShardServices& services) -> Result<void> {
        auto made = services.exec("ALTER TABLE rows ADD COLUMN more TEXT", {}, {});
        if (!made) return made.error();
        return {};
    };
    int made = 0;
    next->on_create = [&]() -> Result<void> {
        if (++made < 3) return {};
        return fail(ErrorCode::kInvalid, "no licence");
    };
    const auto swapped = swap(next);
    ASSERT_FALSE(swapped);
    EXPECT_THAT(swapped.error().message, HasSubstr("no licence"));
    EXPECT_EQ(now_running(), "1");
    world.send(0, "u", "b");
    world.kill();
    world.start();  // its tables are those of the old one
    world.run();
    EXPECT_EQ(world.rows(), "u:a;u:b;");
    EXPECT_EQ(world.status().at("state"), "running");
}

TEST_F(HotSwap, tables_are_brought_up_to_date_with_it_and_not_back_again) {
    world.start();
    world.send(0, "u", "a");
    world.run();
    const auto next = version("2");
    next->described.state_version = 2;
    next->on_migrate = [](ShardServices& services) -> Result<void> {
        auto made = services.exec("ALTER TABLE rows ADD COLUMN more TEXT DEFAULT 'x'", {}, {});
        if (!made) return made.error();
        return {};
    };
    const auto swapped = swap(next);
    ASSERT_TRUE(swapped) << swapped.error().message;
    EXPECT_EQ(world.rows(), "u:a;");
    const auto back = swap(version("1"));
    ASSERT_FALSE(back);
    EXPECT_THAT(back.error().message, HasSubstr("newer version"));
    EXPECT_EQ(now_running(), "2");
}

TEST_F(HotSwap, a_version_that_fails_at_the_last_moment_gives_the_shards_back) {
    world.start();
    world.send(0, "u", "a");
    world.run();
    const auto next = version("2");
    int made = 0;
    next->on_create = [&]() -> Result<void> {
        if (++made < 7) return {};  // four trials, then the third shard
        return fail(ErrorCode::kInvalid, "no licence");
    };
    ASSERT_FALSE(swap(next));
    EXPECT_EQ(now_running(), "1");
    std::string calls;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        calls += "1";
        return ModelHandler::insert(services, input);
    };
    for (int i = 0; i < 8; ++i) world.send(0, "u" + std::to_string(i), "b");
    world.run();
    EXPECT_EQ(calls, "11111111");
}

TEST_F(HotSwap, a_version_of_another_kind_is_refused) {
    world.start();
    const auto next = version("2");
    next->described.state = StateKind::kNone;
    const auto swapped = swap(next);
    ASSERT_FALSE(swapped);
    EXPECT_THAT(swapped.error().message, HasSubstr("`state`"));
    EXPECT_EQ(now_running(), "1");
}

TEST_F(HotSwap, a_handler_comes_while_others_run_and_goes_again) {
    world.start();
    HandlerSection section = world.section;
    section.name = "guest";
    const auto guest = version("1");
    world.supervisor->add({section, guest, {{"tasks", "tasks-dlq"}, {"others", "tasks-dlq"}}});
    world.send(0, "u", "a");
    world.run();
    const auto both = world.supervisor->status();
    EXPECT_THAT(both, HasSubstr(R"("handler":"guest")"));
    bool gone = false;
    world.supervisor->remove("guest", milliseconds(1'000), [&] { gone = true; });
    ASSERT_TRUE(world.runtime.advance_until([&] { return gone; }));
    EXPECT_THAT(world.supervisor->status(), ::testing::Not(HasSubstr("guest")));
    world.send(0, "u", "b");
    world.run();
    EXPECT_EQ(world.rows(), "u:a;u:b;");
    world.supervisor->add({section, guest, {{"tasks", "tasks-dlq"}, {"others", "tasks-dlq"}}});
    world.run();
    EXPECT_THAT(world.metrics_text(),
                HasSubstr(R"(millrace_handler_state{handler="guest",state="running"} 1)"));
}

}  // namespace
}  // namespace millrace::engine
