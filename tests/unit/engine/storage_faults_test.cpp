// What a handler does when its disk is full, failing, read-only, slow or in use, or its files are
// damaged: it takes nothing in, says why and which file, goes on when the disk does, and in between
// loses and repeats nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>

#include "support/engine_world.hpp"
#include "support/watched_vfs.hpp"

namespace millrace::engine {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::EngineWorld;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ModelHandler;
using ::testing::Not;
using testing::WatchedVfs;
using Call = WatchedVfs::Fault::Call;

constexpr milliseconds kLongestBackoff{65'000};

struct StorageFaults : ::testing::Test {
    StorageFaults() {
        vfs.faults.clear();
        world.vfs = WatchedVfs::kName;
        world.section.shards = 1;
        other->described = world.model->described;
        HandlerSection section = world.section;
        section.name = "other";
        section.topics = {"others"};
        world.others.push_back({section, other, {{"others", "tasks-dlq"}}});
    }
    ~StorageFaults() override { vfs.faults.clear(); }

    std::string file(const std::string& name, const std::string& handler = "model") const {
        return world.directory.path() + "/handlers/" + handler + "/" + name;
    }
    void fault(Call call, const std::string& name, int code) {
        vfs.faults.push_back({call, "handlers/model/" + name, code});
    }
    void send(int count) {
        for (int i = 0; i < count; ++i) {
            const std::string event = world.event("u", std::to_string(sent_++));
            world.transport.append({"tasks", {0}}, std::nullopt, event);
            // A producer that sends twice: only dedupe tells.
            world.transport.append({"tasks", {0}}, std::nullopt, event);
        }
    }
    std::string readiness() {
        std::string text;
        for (const auto& reason : world.supervisor->unready()) text += reason + "\n";
        return text;
    }
    std::string state(std::size_t handler = 0) {
        const auto status = boost::json::parse(world.supervisor->status());
        return std::string(status.at("handlers").at(handler).at("state").as_string());
    }
    std::string expected_rows() const {
        std::string rows;
        for (int i = 0; i < sent_; ++i) rows += "u:" + std::to_string(i) + ";";
        return rows;
    }
    void expect_the_other_runs() {
        const auto before = other_rows();
        world.transport.append({"others", {0}}, std::nullopt, world.event("v", "x"));
        world.run();
        EXPECT_EQ(other_rows(), before + 1) << "another handler is not touched";
    }
    std::int64_t other_rows() {
        std::string answer;
        world.supervisor->query("other", "rows", {}, [&](const Result<std::string>& got) {
            answer = got ? *got : got.error().message;
        });
        world.runtime.settle();
        return std::ranges::count(answer, ';');
    }
    // The fault is there, is said, and heals; nothing is lost or done twice, and nothing became a
    // dead letter.
    void expect_recovery(const std::string& named) {
        world.runtime.advance(milliseconds(3'000));
        EXPECT_GT(vfs.refused, 0);
        EXPECT_THAT(readiness(), HasSubstr(named));
        expect_the_other_runs();
        vfs.faults.clear();
        world.runtime.advance(kLongestBackoff);
        expect_all_done();
        EXPECT_THAT(readiness(), Not(HasSubstr("model")));
    }
    void expect_all_done() {
        EXPECT_EQ(world.rows(), expected_rows());
        EXPECT_EQ(world.committed(0), Offset{2 * sent_});
        EXPECT_THAT(world.transport.all_of("tasks-dlq"), IsEmpty());
        EXPECT_EQ(state(), "running");
    }

    WatchedVfs& vfs = WatchedVfs::instance();
    EngineWorld world;
    std::shared_ptr<ModelHandler> other = std::make_shared<ModelHandler>();
    int sent_ = 0;
};

struct AtCommit : StorageFaults, ::testing::WithParamInterface<int> {};

TEST_P(AtCommit, of_a_shard_the_handler_goes_down_and_comes_back) {
    world.start();
    send(5);
    world.run();
    vfs.refused = 0;
    fault(Call::kWrite, "0.db", GetParam());
    send(5);
    world.run();
    EXPECT_EQ(world.transport.committed["test.model"].at({"tasks", {0}}), Offset{10});
    expect_recovery("0.db");
}

TEST_P(AtCommit, of_the_position_nothing_is_published_and_the_handler_comes_back) {
    world.start();
    send(5);
    world.run();
    vfs.refused = 0;
    fault(Call::kWrite, "handler.db", GetParam());
    send(5);
    world.runtime.advance(milliseconds(3'000));
    EXPECT_EQ(world.transport.committed["test.model"].at({"tasks", {0}}), Offset{10});
    expect_recovery("handler.db");
}

INSTANTIATE_TEST_SUITE_P(storage, AtCommit,
                         ::testing::Values(SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_READONLY),
                         [](const auto& code) {
                             return std::string(code.param == SQLITE_FULL       ? "full"
                                                : code.param == SQLITE_READONLY ? "read_only"
                                                                                : "failing");
                         });

TEST_F(StorageFaults, a_sync_that_fails_releases_nothing_and_is_recovered_from) {
    for (const char* name : {"0.db", "handler.db"}) {
        vfs.refused = 0;
        if (!world.supervisor) world.start();
        world.run();
        const Offset before = world.committed(0);
        fault(Call::kSync, name, SQLITE_IOERR_FSYNC);
        send(3);
        world.runtime.advance(milliseconds(500));
        EXPECT_EQ(world.transport.committed["test.model"].at({"tasks", {0}}), before);
        expect_recovery(name);
    }
}

TEST_F(StorageFaults, a_stop_while_a_failed_run_still_closes_closes_nothing_twice) {
    world.start();
    world.run();
    fault(Call::kSync, "0.db", SQLITE_IOERR_FSYNC);
    send(1);
    int stopped = 0;
    std::function<void()> stop_when_it_fails = [&] {
        if (state() == "running") return world.runtime.loop().post(stop_when_it_fails);
        EXPECT_EQ(state(), "restarting");
        world.supervisor->stop(milliseconds(1'000), [&] { ++stopped; });
    };
    world.runtime.loop().post(stop_when_it_fails);
    world.runtime.advance(milliseconds(5'000));
    EXPECT_EQ(stopped, 1);
    EXPECT_EQ(world.transport.closes, 2) << "one for each handler";
    world.supervisor.reset();
}

// Larger than the cache: the disk is asked in the middle of a statement.
TEST_F(StorageFaults, a_disk_that_is_full_in_a_statement_pauses_the_shard_and_stops_its_intake) {
    world.section.max_buffered = 1'000;
    const std::string blob(12U << 20, 'x');
    bool large = false;
    world.model->on_message = [&](ShardServices& services, const MessageInput& input) {
        const sqlite::Value values[] = {std::string_view(blob).substr(0, large ? blob.size() : 0)};
        auto done = services.exec("INSERT INTO rows(user) VALUES(?1)", values, {});
        if (done) done = services.exec("DELETE FROM rows WHERE task IS NULL", {}, {});
        if (!done) return Outcome{OutcomeKind::kRetry, done.error().message, {}};
        return ModelHandler::insert(services, input);
    };
    world.start();
    world.run();
    send(1);
    world.run();
    large = true;
    vfs.refused = 0;
    fault(Call::kWrite, "0.db", SQLITE_FULL);
    send(2);
    world.run();
    EXPECT_THAT(readiness(),
                AllOf(HasSubstr("shard 0 pauses"), HasSubstr("0.db"), HasSubstr("free space")));
    EXPECT_THAT(world.metrics->text(), HasSubstr("reason=\"disk\""));
    EXPECT_EQ(state(), "running") << "nothing has to be opened again";
    // What comes meanwhile stays in the log.
    for (int i = 0; i < 20; ++i) send(100);
    const auto status = boost::json::parse(world.supervisor->status());
    EXPECT_LE(status.at("handlers").at(0).at("queue_records").to_number<int>(), 1'500);
    EXPECT_EQ(status.at("handlers").at(0).at("partitions").at(0).at("bound"), "disk");
    expect_the_other_runs();
    large = false;
    vfs.faults.clear();
    world.runtime.advance(kLongestBackoff);
    expect_all_done();
    EXPECT_THAT(readiness(), Not(HasSubstr("model")));
}

struct AtOpening : StorageFaults,
                   ::testing::WithParamInterface<std::tuple<int, const char*, const char*>> {};

TEST_P(AtOpening, the_handler_is_tried_again_until_its_files_open) {
    const auto [code, name, said] = GetParam();
    world.start();
    send(3);
    world.run();
    world.stop();
    vfs.refused = 0;
    fault(Call::kOpen, name, code);
    send(3);
    world.start();
    EXPECT_THAT(readiness(), HasSubstr(said));
    EXPECT_NE(state(), "running");
    expect_recovery(name);
}

INSTANTIATE_TEST_SUITE_P(storage, AtOpening,
                         ::testing::Values(std::tuple{SQLITE_CANTOPEN, "handler.db", "handler.db"},
                                           std::tuple{SQLITE_CANTOPEN, "0.db", "0.db"},
                                           std::tuple{SQLITE_READONLY, "handler.db", "read-only"},
                                           std::tuple{SQLITE_READONLY, "0.db", "read-only"}),
                         [](const auto& parameters) {
                             return std::string(std::get<0>(parameters.param) == SQLITE_READONLY
                                                    ? "read_only_"
                                                    : "missing_") +
                                    (std::string_view(std::get<1>(parameters.param)) == "0.db"
                                         ? "shard"
                                         : "positions");
                         });

TEST_F(StorageFaults, files_that_cannot_be_read_are_nobodys_fault) {
    world.start();
    send(3);
    world.run();
    world.stop();
    vfs.refused = 0;
    fault(Call::kRead, "0.db", SQLITE_IOERR_READ);
    send(3);
    world.start();
    expect_recovery("0.db");
}

TEST_F(StorageFaults, a_file_in_use_by_another_process_is_waited_for) {
    world.start();
    send(3);
    world.run();
    for (const char* name : {"0.db", "handler.db"}) {
        world.stop();
        auto holder = sqlite::Database::open(file(name));
        ASSERT_TRUE(holder) << holder.error().message;
        world.start();
        EXPECT_THAT(readiness(), AllOf(HasSubstr(name), HasSubstr("another process")));
        expect_the_other_runs();
        holder->reset();
        world.runtime.advance(kLongestBackoff);
        EXPECT_THAT(readiness(), Not(HasSubstr("model")));
    }
    expect_all_done();
}

TEST_F(StorageFaults, a_damaged_file_keeps_its_handler_down_and_says_what_to_do) {
    for (const char* name : {"0.db", "handler.db"}) {
        world.start();
        send(3);
        world.run();
        world.stop();
        const auto copy = world.directory.path() + "/copy";
        std::filesystem::copy(file(""), copy, std::filesystem::copy_options::recursive);
        std::ofstream(file(name), std::ios::binary) << std::string(8'192, '\xee');
        world.start();
        EXPECT_EQ(state(), "down");
        EXPECT_THAT(readiness(), AllOf(HasSubstr(name), HasSubstr("damaged"),
                                       HasSubstr("millrace handlers restart model")));
        world.runtime.advance(kLongestBackoff);
        EXPECT_EQ(state(), "down") << "trying again would not mend it";
        expect_the_other_runs();
        // The copy is put back while the server runs.
        std::filesystem::remove_all(file(""));
        std::filesystem::rename(copy, file(""));
        std::string answer;
        world.supervisor->restart("model", [&](const Result<std::string>& told) {
            answer = told ? *told : told.error().message;
        });
        world.run();
        EXPECT_THAT(answer, HasSubstr("running"));
        send(1);
        world.run();
        expect_all_done();
        world.stop();
    }
}

TEST_F(StorageFaults, a_page_that_turns_out_damaged_while_running_dead_letters_nothing) {
    world.start();
    send(3);
    world.run();
    world.stop();
    std::int64_t page = 0;
    {
        auto database = sqlite::Database::open(file("0.db")).value();
        auto query = database->prepare("SELECT rootpage FROM sqlite_master WHERE name = 'rows'");
        ASSERT_TRUE(query && *query->step());
        page = query->integer(0);
    }
    std::fstream damaged(file("0.db"), std::ios::binary | std::ios::in | std::ios::out);
    damaged.seekp((page - 1) * 4'096);
    damaged << std::string(4'096, '\xee');
    damaged.close();
    world.start();
    send(2);
    world.run();
    EXPECT_EQ(state(), "down");
    EXPECT_THAT(readiness(), AllOf(HasSubstr("0.db"), HasSubstr("damaged")));
    EXPECT_THAT(world.transport.all_of("tasks-dlq"), IsEmpty());
    EXPECT_EQ(world.committed(0), Offset{6});
    expect_the_other_runs();
}

TEST_F(StorageFaults, a_slow_sync_bounds_the_intake_and_blocks_nobody_else) {
    world.section.max_buffered = 100;
    world.start();
    world.run();
    world.runtime.park("model-sync");
    for (int i = 0; i < 30; ++i) {
        send(50);
        world.runtime.settle();
    }
    const auto queued = [&] {
        const auto status = boost::json::parse(world.supervisor->status());
        return status.at("handlers").at(0).at("queue_records").to_number<int>();
    };
    EXPECT_GE(queued(), 100);
    EXPECT_LE(queued(), 600) << "the bound and one batch";
    EXPECT_EQ(world.committed(0), Offset{0}) << "nothing is released that is not durable";
    expect_the_other_runs();
    world.runtime.advance(milliseconds(35'000));
    EXPECT_THAT(readiness(), AllOf(HasSubstr("tasks/0"), HasSubstr("model/0.db durable for 3")));
    EXPECT_THAT(boost::json::serialize(world.status().at("held")),
                HasSubstr("waits for the disk, which has not made"));
    world.runtime.unpark();
    world.runtime.advance(milliseconds(2'000));
    expect_all_done();
}

}  // namespace
}  // namespace millrace::engine
