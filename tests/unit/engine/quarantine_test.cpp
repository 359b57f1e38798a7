// What the engine does with handlers that crash the process, keep failing, or do not return.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "engine/crash_journal.hpp"
#include "support/engine_world.hpp"
#include "support/memory_journal.hpp"

namespace millrace::engine {
namespace {

using ::testing::ElementsAre;
using testing::EngineWorld;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ModelHandler;
using ::testing::SizeIs;

HandlerCrashes crashes_at(std::initializer_list<std::int64_t> offsets) {
    HandlerCrashes crashes;
    int minute = 0;
    for (const auto offset : offsets) {
        add_mark(crashes, {Timestamp(std::chrono::minutes(++minute)), SIGSEGV, "0",
                           keep(make_position(CallKind::kRecord, "tasks", {0}, Offset{offset}))});
    }
    return crashes;
}

struct CrashingHandler : ::testing::Test {
    CrashingHandler() { world.crashes = &journal; }

    // What `millrace handlers resume` answers; nothing yet: it was not told.
    std::optional<Result<std::string>> resume() {
        std::optional<Result<std::string>> answer;
        world.supervisor->resume("model", {},
                                 [&](const Result<std::string>& got) { answer = got; });
        world.runtime.settle();
        return answer;
    }
    std::string state() { return std::string(world.status().at("state").as_string()); }

    testing::MemoryJournal journal;
    EngineWorld world;
};

TEST_F(CrashingHandler, a_record_that_crashed_too_often_becomes_a_dead_letter_and_its_key_goes_on) {
    journal.history["model"] = crashes_at({1, 1, 1});
    for (const char* task : {"first", "poison", "behind"}) world.send(0, "u", task);
    world.start();
    world.run();
    EXPECT_EQ(world.rows(), "u:first;u:behind;");
    const auto letters = world.transport.all_of("tasks-dlq");
    ASSERT_THAT(letters, SizeIs(1));
    EXPECT_EQ(letters[0].header("millrace-error-class"), "crash");
    EXPECT_EQ(letters[0].header("millrace-attempts"), "3");
    EXPECT_EQ(letters[0].header("millrace-offset"), "1");
    EXPECT_EQ(letters[0].header("millrace-first-failure"), "1970-01-01T00:01:00Z");
    EXPECT_THAT(std::string(letters[0].header("millrace-error-message")), HasSubstr("SIGSEGV"));
    EXPECT_EQ(world.committed(0), Offset{3});
}

TEST_F(CrashingHandler, until_the_limit_a_record_is_simply_tried_again) {
    journal.history["model"] = crashes_at({0, 0});
    world.send(0, "u", "tried");
    world.start();
    world.run();
    EXPECT_EQ(world.rows(), "u:tried;");
    EXPECT_THAT(world.transport.all_of("tasks-dlq"), IsEmpty());
}

TEST_F(CrashingHandler, a_timer_that_crashed_too_often_becomes_a_dead_letter_too) {
    world.section.shards = 1;
    world.model->on_message = [&](ShardServices& services, const MessageInput&) {
        EXPECT_TRUE(services.set_timer("t", "u", services.now() + std::chrono::seconds(5), "p"));
        return Outcome{};
    };
    int fired = 0;
    world.model->on_timer = [&](auto&, auto&) {
        ++fired;
        return Outcome{};
    };
    world.send(0, "u", "1");
    world.start();
    world.run();
    world.kill();
    for (int i = 0; i < 3; ++i)
        add_mark(journal.history["model"],
                 {Timestamp(std::chrono::minutes(i)), SIGSEGV, "0",
                  keep(make_position(CallKind::kTimer, "t", {-1}, Offset{1}))});
    world.start();
    world.runtime.advance(milliseconds(10'000));
    EXPECT_EQ(fired, 0);
    const auto letters = world.transport.all_of("tasks-dlq");
    ASSERT_THAT(letters, SizeIs(1));
    EXPECT_EQ(letters[0].header("millrace-error-class"), "crash");
    EXPECT_EQ(letters[0].header("millrace-timer"), "t");
    EXPECT_EQ(world.status().at("timers").as_int64(), 0);
}

TEST_F(CrashingHandler, crashes_at_different_positions_quarantine_it_until_it_is_let_go) {
    journal.history["model"] = crashes_at({0, 1, 2});
    world.send(0, "u", "1");
    world.start();
    world.run();
    EXPECT_EQ(state(), "quarantined");
    EXPECT_THAT(
        world.supervisor->unready(),
        ElementsAre(HasSubstr("handler model is quarantined: it crashed the process at 3")));
    EXPECT_TRUE(journal.history["model"].quarantine);
    EXPECT_EQ(world.model->instances, 0);
    world.stop();
    world.start();
    EXPECT_EQ(state(), "quarantined");
    world.supervisor->restart("model", [](const Result<std::string>& answer) {
        EXPECT_EQ(answer.error().code, ErrorCode::kConflict);
        EXPECT_THAT(answer.error().message, HasSubstr("millrace handlers resume model"));
    });
    const auto released = resume();
    ASSERT_TRUE(released && *released);
    world.run();
    EXPECT_EQ(state(), "running");
    EXPECT_EQ(world.rows(), "u:1;");
    EXPECT_THAT(journal.history["model"].marks, IsEmpty());
    EXPECT_FALSE(journal.history["model"].quarantine);
}

TEST_F(CrashingHandler, one_that_keeps_failing_to_start_is_quarantined_and_a_release_tries_again) {
    bool broken = true;
    int tries = 0;
    world.model->on_migrate =
        [&, good = world.model->on_migrate](ShardServices& services) -> Result<void> {
        ++tries;
        return broken ? Result<void>(fail(ErrorCode::kInvalid, "no")) : good(services);
    };
    world.section.shards = 1;
    world.section.quarantine_after = 4;
    world.start();
    ASSERT_TRUE(world.runtime.advance_until([&] { return state() == "quarantined"; }));
    EXPECT_EQ(tries, 4);
    EXPECT_THAT(std::string(world.status().at("reason").as_string()),
                HasSubstr("failed 4 times in a row"));
    world.runtime.advance(milliseconds(300'000));
    EXPECT_EQ(tries, 4);
    auto released = resume();
    ASSERT_TRUE(released);
    EXPECT_FALSE(*released);
    ASSERT_TRUE(world.runtime.advance_until([&] { return state() == "quarantined"; }));
    broken = false;
    released = resume();
    ASSERT_TRUE(released && *released);
    EXPECT_EQ(state(), "running");
}

TEST_F(CrashingHandler, a_failing_disk_quarantines_nobody) {
    world.model->on_migrate = [](auto&) -> Result<void> {
        return fail(ErrorCode::kFull, "the disk is full");
    };
    world.section.quarantine_after = 2;
    world.start();
    world.runtime.advance(milliseconds(600'000));
    EXPECT_EQ(state(), "restarting");
}

TEST_F(CrashingHandler, a_replay_tries_what_had_crashed_anew) {
    world.send(0, "u", "mended");
    journal.history["model"] = crashes_at({0, 0, 0});
    world.start();
    world.run();
    ASSERT_THAT(world.transport.all_of("tasks-dlq"), SizeIs(1));
    bool replayed = false;
    world.supervisor->replay("model", {}, [&](const Result<std::string>& answer) {
        replayed = answer.has_value();
        EXPECT_TRUE(answer) << answer.error().message;
    });
    ASSERT_TRUE(world.runtime.advance_until([&] { return replayed; }));
    world.run();
    EXPECT_EQ(world.rows(), "u:mended;");
    EXPECT_THAT(journal.history["model"].marks, IsEmpty());
}

// The manual runtime has one thread: what happens during a call is run from inside it.
TEST_F(CrashingHandler, a_call_that_does_not_return_is_named_and_its_record_tried_again) {
    world.section.timeout = milliseconds(1'000);
    bool hangs = true;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        if (std::exchange(hangs, false)) {
            world.runtime.advance(milliseconds(1'200));
            const auto stuck = world.status().at("stuck").as_array().at(0).as_object();
            EXPECT_EQ(stuck.at("topic"), "tasks");
            EXPECT_EQ(stuck.at("partition"), 1);
            EXPECT_EQ(stuck.at("offset"), 0);
            EXPECT_EQ(stuck.at("since"), "2026-01-01T00:00:00Z");
            EXPECT_THAT(world.supervisor->unready(),
                        ElementsAre(HasSubstr("has not returned since 2026-01-01T00:00:00Z")));
            EXPECT_EQ(services.exec("SELECT 1", {}, {}).error().code, ErrorCode::kTimeout);
            EXPECT_EQ(services.origins([](const auto&) {}).error().code, ErrorCode::kTimeout);
        }
        return ModelHandler::insert(services, input);
    };
    world.start();
    world.send(1, "u", "slow");
    world.runtime.advance(milliseconds(5'000));
    EXPECT_EQ(world.rows(), "u:slow;");
    EXPECT_THAT(world.status().at("stuck").as_array(), IsEmpty());
    EXPECT_THAT(world.status().at("held").as_array(), IsEmpty());
    EXPECT_EQ(world.status().at("errors").as_array().at(0).at("class"), "timeout");
    EXPECT_THAT(world.supervisor->unready(), IsEmpty());
    EXPECT_THAT(world.gave_up, IsEmpty());
}

TEST_F(CrashingHandler, when_all_threads_are_stuck_for_good_the_process_is_asked_to_end_once) {
    world.section.threads = 1;
    world.section.stuck_exit = milliseconds(60'000);
    bool hangs = true;
    bool stopped = false;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        if (std::exchange(hangs, false)) {
            world.runtime.advance(milliseconds(50'000));
            EXPECT_THAT(world.gave_up, IsEmpty());
            world.runtime.advance(milliseconds(50'000));
            EXPECT_THAT(world.gave_up, ElementsAre(HasSubstr("handler model is stuck")));
            world.supervisor->stop(milliseconds(20'000), [&] { stopped = true; });
            world.runtime.advance(milliseconds(100));
            EXPECT_TRUE(stopped);
        }
        return ModelHandler::insert(services, input);
    };
    world.start();
    world.send(0, "u", "stuck");
    world.runtime.advance(milliseconds(1'000));
    EXPECT_TRUE(stopped);
}

}  // namespace
}  // namespace millrace::engine
