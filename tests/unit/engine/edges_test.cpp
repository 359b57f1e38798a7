// Where several things meet: pending and budget, copies in two lanes, restarts while a dead letter
// waits, a read that fails once, a crash in the middle of a replay, assignments that overlap.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <boost/json/serialize.hpp>
#include <csignal>
#include <set>

#include "engine/crash_journal.hpp"
#include "events/time.hpp"
#include "support/engine_world.hpp"
#include "support/memory_journal.hpp"
#include "support/watched_vfs.hpp"

namespace millrace::engine {
namespace {

using testing::dead_letter;
using testing::EngineWorld;
using ::testing::HasSubstr;
using testing::ModelHandler;
using testing::retry;
using testing::task_of;
using testing::WatchedVfs;

struct Edges : ::testing::Test {
    EngineWorld world;
};

TEST_F(Edges, pending_never_completed_is_dead_lettered_within_30_s_by_default) {
    std::vector<double> at;
    std::chrono::nanoseconds begun{};
    world.model->on_message = [&](ShardServices&, const MessageInput&) {
        if (at.empty()) begun = world.runtime.clock().monotonic();
        at.push_back(
            std::chrono::duration<double>(world.runtime.clock().monotonic() - begun).count());
        return Outcome{OutcomeKind::kPending, "", {}};
    };
    world.start();
    world.send(0, "u", "t");
    ASSERT_TRUE(world.runtime.advance_until(
        [&] { return !world.transport.all_of("tasks-dlq").empty(); }, milliseconds(120'000)));
    EXPECT_LE(std::chrono::duration<double>(world.runtime.clock().monotonic() - begun).count(),
              30.0);
}

TEST_F(Edges, pending_after_failing_late_is_dead_lettered_within_30_s) {
    std::chrono::nanoseconds begun{};
    int n = 0;
    world.model->on_message = [&](ShardServices&, const MessageInput&) {
        const auto now = world.runtime.clock().monotonic();
        if (n++ == 0) begun = now;
        if (now - begun < std::chrono::milliseconds(19'000)) return retry("away");
        return Outcome{OutcomeKind::kPending, "", {}};
    };
    world.start();
    world.send(0, "u", "t");
    ASSERT_TRUE(world.runtime.advance_until(
        [&] { return !world.transport.all_of("tasks-dlq").empty(); }, milliseconds(120'000)));
    EXPECT_LE(std::chrono::duration<double>(world.runtime.clock().monotonic() - begun).count(),
              30.0);
}

// One event id, sent twice with different keys and no user: two lanes of one shard.
struct TwoLanes : Edges {
    std::vector<CompletionToken> tokens;
    ShardServices* services_of = nullptr;

    TwoLanes() {
        world.section.shards = 1;
        world.model->on_complete = [](ShardServices& services, const MessageInput& input,
                                      std::string_view) {
            return ModelHandler::insert(services, input);
        };
    }
    Outcome pend(ShardServices& services, const MessageInput& input) {
        services_of = &services;
        tokens.push_back(input.token);
        return {OutcomeKind::kPending, "", {}};
    }
    void send_both_and_complete() {
        world.start();
        for (const char* key : {"a", "b"}) {
            world.transport.append(
                {"tasks", {0}}, key,
                R"({"event_id":"6f1d1a52-9a51-4b7e-8a63-0e3f2a6c1d11","event_type":"created","task_id":"t"})");
        }
        world.run();
        for (auto& token : tokens) services_of->complete(token, "x");
        world.run();
    }
};

TEST_F(TwoLanes, copies_that_are_both_pending_have_one_effect) {
    world.model->on_message = [this](ShardServices& services, const MessageInput& input) {
        return pend(services, input);
    };
    send_both_and_complete();
    EXPECT_EQ(world.committed(0), Offset{2});
    EXPECT_EQ(world.rows(), ":t;");
}

TEST_F(TwoLanes, a_copy_that_completes_after_another_was_acked_has_no_effect) {
    world.model->on_message = [this](ShardServices& services, const MessageInput& input) {
        return tokens.empty() ? pend(services, input) : ModelHandler::insert(services, input);
    };
    send_both_and_complete();
    EXPECT_EQ(world.rows(), ":t;");
}

TEST_F(Edges, first_failure_of_a_permanent_error_survives_a_restart) {
    world.model->on_message = [&](ShardServices&, const MessageInput&) {
        return dead_letter("no");
    };
    world.transport.unavailable.insert("tasks-dlq");
    world.start();
    world.send(0, "u", "t");
    world.run();
    const auto first = world.runtime.clock().now();
    world.runtime.advance(milliseconds(3'600'000));
    world.kill();
    world.transport.unavailable.clear();
    world.start();
    world.run();
    ASSERT_EQ(world.transport.all_of("tasks-dlq").size(), 1U);
    const auto letter = world.transport.all_of("tasks-dlq").front();
    EXPECT_EQ(letter.header("millrace-first-failure").substr(0, 16),
              format_time(first).substr(0, 16));
}

TEST_F(Edges, attempts_of_an_exhausted_record_go_on_over_restarts) {
    std::vector<std::uint32_t> attempts;
    world.model->on_message = [&](ShardServices&, const MessageInput& input) {
        attempts.push_back(input.attempt);
        return retry("away");
    };
    world.section.retry = {milliseconds(2'000), milliseconds(1'000), milliseconds(4'000), 2.0};
    world.transport.unavailable.insert("tasks-dlq");
    world.start();
    world.send(0, "u", "t");
    world.runtime.advance(milliseconds(10'000));
    for (int i = 0; i < 3; ++i) {
        world.kill();
        world.start();
        world.runtime.advance(milliseconds(5'000));
    }
    for (std::size_t i = 0; i < attempts.size(); ++i) EXPECT_EQ(attempts[i], i + 1);
}

// One read of the state file fails once while the handler starts; then the disk is well.
struct ReadFault : ::testing::TestWithParam<bool> {
    void TearDown() override {
        auto& vfs = WatchedVfs::instance();
        vfs.faults.clear();
        vfs.skip_reads = vfs.max_refusals = vfs.refused = 0;
    }
};

TEST_P(ReadFault, one_failed_read_at_start_leaves_nothing_stuck) {
    auto& vfs = WatchedVfs::instance();
    const bool calls = GetParam();
    int failed = 0;
    int stuck = 0;
    int untold = 0;  // held, and nothing is
    for (int skip = 0; skip < 4'000; skip += 40) {
        EngineWorld world;
        vfs.faults.clear();
        vfs.skip_reads = vfs.max_refusals = vfs.refused = 0;
        world.vfs = WatchedVfs::kName;
        world.section.shards = 1;
        const std::string big(100'000, 'x');
        world.model->on_message = [&](ShardServices& services, const MessageInput&) -> Outcome {
            for (int i = 0; i < 40; ++i) {
                if (calls) {
                    CallRequest call;
                    const std::string id = std::to_string(i);
                    call.id = id;
                    call.key = "k";
                    call.method = "POST";
                    call.url = "http://x/";
                    call.body = big;
                    auto done = services.call(call);
                    if (!done) return dead_letter("call");
                    continue;
                }
                PublishRequest request;
                request.topic = "out";
                request.key = "k";
                const std::string body =
                    R"({"event_type":"created","task_id":"t","user_id":"u","task_data":{"title":")" +
                    big + "\"}}";
                request.event = body;
                auto done = services.publish(request);
                if (!done) return dead_letter(done.error().message.c_str());
            }
            return {};
        };
        world.transport.unavailable.insert("out");
        // Calls: the first answers say 503, so that all still wait at the kill.
        for (int i = 0; i < 16; ++i) world.http.answers.push_back({503, "", {}});
        world.start();
        world.send(0, "u", "t");
        world.runtime.settle();
        world.runtime.advance(milliseconds(100));
        world.kill();
        const std::size_t before = world.http.requests.size();
        world.http.answers.clear();
        world.transport.unavailable.clear();
        vfs.faults.push_back(
            {WatchedVfs::Fault::Call::kRead, "handlers/model/0.db", SQLITE_IOERR_READ});
        vfs.skip_reads = skip;
        vfs.max_refusals = 1;
        world.start();
        world.runtime.advance(milliseconds(2'000));
        const int refused = vfs.refused;
        vfs.faults.clear();
        world.runtime.advance(milliseconds(300'000));
        if (refused == 0) break;
        ++failed;
        const bool done =
            calls ? world.http.requests.size() >= before + 40
                  : world.transport.all_of("out").size() >= 40;  // again, with their ids
        const auto held = boost::json::serialize(world.status().at("held"));
        if (done && held != "[]") ++untold;
        if (!done) ++stuck;
    }
    EXPECT_GT(failed, 0);
    EXPECT_EQ(stuck, 0);
    EXPECT_EQ(untold, 0);
}

INSTANTIATE_TEST_SUITE_P(of, ReadFault, ::testing::Bool(), [](const auto& each) {
    return std::string(each.param ? "calls" : "events");
});

TEST(Replay, a_crash_in_a_replay_repeats_nothing_if_the_replay_did_not_happen) {
    int found = 0;
    for (int steps = 0; steps < 200; ++steps) {
        EngineWorld world;
        world.section.shards = 1;
        world.section.retry.budget = milliseconds(3'600'000);
        world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
            if (task_of(input) == "bad") return retry("no");
            return ModelHandler::insert(services, input);
        };
        world.start();
        world.send(0, "a", "1");
        world.send(0, "a", "2");
        world.send(0, "b", "bad");
        world.send(0, "c", "3");
        world.send(0, "c", "4");
        world.run();
        ASSERT_EQ(world.committed(0), Offset{2});
        ReplayRequest request;
        request.which.topic = "tasks";
        request.which.partition = Partition{0};
        request.from = ReplayRequest::From::kOffset;
        request.offset = Offset{1};
        bool answered = false;
        world.supervisor->replay("model", request,
                                 [&](const Result<std::string>&) { answered = true; });
        for (int i = 0; i < steps; ++i) world.runtime.step();
        if (answered) break;
        world.kill();
        world.start();
        world.run();
        const auto rows = world.rows();
        const auto count = [&](const std::string& row) {
            int n = 0;
            for (auto at = rows.find(row); at != std::string::npos; at = rows.find(row, at + 1))
                ++n;
            return n;
        };
        if (count("a:2;") == 1 && count("c:3;") + count("c:4;") > 2) ++found;
    }
    EXPECT_EQ(found, 0);
}

TEST_F(Edges, a_commit_of_an_earlier_assignment_is_dropped) {
    world.accept_unmoved_state = true;
    world.section.topics = {"tasks"};
    world.start();
    for (int i = 0; i < 3; ++i) world.send(0, "u", std::to_string(i));
    world.runtime.settle();
    // A position is on its way to the file, which is slow.
    world.runtime.advance(milliseconds(49));
    std::vector<Offset> seen;
    const auto look = [&] {
        seen.push_back(world.transport.committed["test.model"][{"tasks", {0}}]);
    };
    world.runtime.park("-sync");
    world.runtime.advance(milliseconds(100));
    look();
    for (int i = 0; i < 60; ++i) world.send(0, "u", "later" + std::to_string(i));
    // Lost; another member takes it to 50 and is gone; it is given back.
    world.transport.committed["test.model"][{"tasks", {0}}] = Offset{50};
    world.transport.lose();
    look();
    world.runtime.unpark();
    while (world.runtime.step()) look();
    world.runtime.advance(milliseconds(200));
    look();
    EXPECT_TRUE(std::ranges::is_sorted(seen));
}

TEST_F(Edges, what_the_inbox_holds_in_memory_is_bounded_in_bytes) {
    world.section.shards = 1;
    world.section.max_buffered_bytes = 1 << 20;
    world.section.retry.budget = milliseconds(3'600'000);
    std::set<std::int64_t> in_memory;
    std::size_t bytes = 0;
    world.model->on_message = [&](ShardServices&, const MessageInput& input) {
        if (in_memory.insert(input.event.record->offset.value).second)
            bytes += input.event.record->value->size();
        return retry("away");
    };
    world.start();
    const std::string big(1 << 20, 'x');
    int answered = 0;
    for (int i = 0; i < 100; ++i) {
        RedriveRecord record{{"tasks", {0}},
                             Offset{i},
                             world.runtime.clock().now(),
                             std::to_string(i),
                             R"({"event_type":"created","user_id":"u)" + std::to_string(i) +
                                 R"(","task_data":{"title":")" + big + "\"}}",
                             {},
                             1};
        world.supervisor->redrive("model", record,
                                  [&](Result<void> got) { answered += got ? 1 : 0; });
    }
    world.runtime.advance(milliseconds(500));
    EXPECT_LE(bytes, 3U << 20);
}

TEST(CrashHistory, a_redriven_record_is_not_blamed_for_the_crashes_of_an_earlier_one) {
    testing::MemoryJournal journal;
    EngineWorld world;
    world.crashes = &journal;
    world.section.shards = 1;
    std::vector<std::string> called;
    bool broken = true;
    bool crashing = true;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        called.push_back(std::string(task_of(input)));
        if (broken) return dead_letter("no");
        if (crashing) return retry("would crash");
        return ModelHandler::insert(services, input);
    };
    world.start();
    world.send(0, "u", "crashes");
    world.send(0, "v", "innocent");
    world.run();
    ASSERT_EQ(world.transport.all_of("tasks-dlq").size(), 2U);
    broken = false;
    const auto redrive = [&](std::size_t offset) {
        const TopicPartition origin{"tasks", {0}};
        const auto& stored = world.transport.log.at(origin).at(offset);
        std::optional<Result<void>> answer;
        world.supervisor->redrive("model",
                                  {origin, Offset{static_cast<std::int64_t>(offset)},
                                   stored.timestamp, stored.key, stored.value, stored.headers, 1},
                                  [&](Result<void> got) { answer = got; });
        for (int i = 0; i < 1000 && !answer; ++i) world.runtime.step();
        EXPECT_TRUE(answer && *answer);
    };
    // It is given back, and crashes the process three times: the row of the inbox is blamed.
    redrive(0);
    world.kill();
    for (int i = 0; i < 3; ++i)
        add_mark(journal.history["model"],
                 {Timestamp(std::chrono::minutes(i)), SIGSEGV, "0",
                  keep(make_position(CallKind::kInbox, "tasks", {0}, Offset{1}))});
    world.start();
    world.run();
    ASSERT_EQ(world.transport.all_of("tasks-dlq").size(), 3U);
    EXPECT_EQ(world.transport.all_of("tasks-dlq").back().header("millrace-error-class"), "crash");
    // The plugin is mended, the server started again, and another record is given back.
    world.stop();
    crashing = false;
    world.start();
    called.clear();
    redrive(1);
    world.run();
    EXPECT_THAT(called, ::testing::ElementsAre("innocent"));
    EXPECT_EQ(world.rows(), "v:innocent;");
}

TEST_F(Edges, retention_that_passes_while_a_record_is_held_commits_nothing_above_it) {
    bool away = true;
    world.section.shards = 1;
    world.section.lost_position = HandlerSection::LostPosition::kAccept;
    world.section.retry.budget = milliseconds(3'600'000);
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        if (task_of(input) == "bad" && away) return retry("no");
        return ModelHandler::insert(services, input);
    };
    world.start();
    world.send(0, "u", "bad");
    world.send(0, "v", "1");
    world.run();
    ASSERT_EQ(world.committed(0), Offset{0});
    const TopicPartition origin{"tasks", {0}};
    // Not read yet: reading has stopped for some bound.
    for (int i = 2; i < 10; ++i)
        world.transport.log.at(origin).push_back(
            {world.runtime.clock().now(), {}, world.event("v", std::to_string(i)), {}});
    world.transport.pass(origin, Offset{6});
    world.runtime.advance(milliseconds(2'000));
    EXPECT_EQ(world.committed(0), Offset{0});
    away = false;
    world.runtime.advance(milliseconds(60'000));
    EXPECT_THAT(world.rows(), HasSubstr("u:bad;"));
    EXPECT_EQ(world.committed(0), Offset{10});
}

TEST_F(Edges, a_table_that_counts_its_rowids_is_refused) {
    world.model->on_migrate = [](ShardServices& services) -> Result<void> {
        auto made = services.exec("CREATE TABLE ids(id INTEGER PRIMARY KEY AUTOINCREMENT)", {}, {});
        if (!made) return made.error();
        return {};
    };
    world.start();
    EXPECT_THAT(world.supervisor->status(), HasSubstr("AUTOINCREMENT"));
}

}  // namespace
}  // namespace millrace::engine
