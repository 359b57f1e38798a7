// EngineWorld: the engine on a manual runtime, a log in memory and a real state directory; it can
// be killed and started again.
#pragma once

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/supervisor.hpp"
#include "events/schemas.hpp"
#include "support/manual_runtime.hpp"
#include "support/memory_transport.hpp"
#include "support/model_handler.hpp"
#include "support/temporary_directory.hpp"

namespace millrace::testing {

struct RecordingSink final : engine::PushSink {
    void opened(const TopicPartition& origin, Offset floor) override {
        log.push_back("open " + to_string(origin) + " " + std::to_string(floor.value));
    }
    void push(engine::PushMessage message) override {
        log.push_back("push " + message.user + " " + message.data);
    }
    void advanced(const TopicPartition& origin, Offset next) override {
        log.push_back("next " + to_string(origin) + " " + std::to_string(next.value));
    }
    void closed(const TopicPartition& origin) override {
        log.push_back("close " + to_string(origin));
    }
    std::vector<std::string> log;
};

struct RecordingCaller final : engine::HttpCaller {
    explicit RecordingCaller(Runtime& on) : runtime(on) {}
    void call(engine::HttpCall request, std::function<void(engine::HttpAnswer)> done) override {
        requests.push_back(std::move(request));
        engine::HttpAnswer answer{200, "ok", {}};
        if (!answers.empty()) {
            answer = answers.front();
            answers.erase(answers.begin());
        }
        runtime.loop().post([done, answer] { done(answer); });
    }
    Runtime& runtime;
    std::vector<engine::HttpCall> requests;
    std::vector<engine::HttpAnswer> answers;
};

class EngineWorld {
public:
    EngineWorld()
        : transport(runtime),
          http(runtime),
          schemas(SchemaSet::load(MILLRACE_SOURCE_DIR "/schemas")),
          reader(ConfigNode::load_file(MILLRACE_SOURCE_DIR "/schemas/envelope.yaml", nullptr),
                 schemas, {{"tasks", "task-event", false}, {"others", "task-event", false}}),
          model(std::make_shared<ModelHandler>()) {
        transport.make_topic("tasks", 3);
        transport.make_topic("others", 5);
        transport.make_topic("tasks-dlq", 1);
        transport.make_topic("out", 1);
        section.name = "model";
        section.plugin = "model";
        section.topics = {"tasks"};
    }
    ~EngineWorld() { kill(); }

    void start() {
        engine::Surroundings surroundings{
            runtime,
            transport,
            *metrics,
            reader,
            push,
            http,
            [](std::string_view, std::string_view) -> Result<void> { return {}; },
            directory.path(),
            vfs,
            milliseconds(0)};
        surroundings.accept_unmoved_state = accept_unmoved_state;
        surroundings.crashes = crashes;
        surroundings.give_up = [this](const std::string& reason) { gave_up.push_back(reason); };
        engine::HandlerSetup setup{
            section, model, {{"tasks", "tasks-dlq"}, {"others", "tasks-dlq"}}};
        std::vector setups{setup};
        setups.insert(setups.end(), others.begin(), others.end());
        supervisor = std::make_unique<engine::Supervisor>(surroundings, "test", setups);
        supervisor->start();
        runtime.settle();
    }
    // As SIGKILL: nothing is drained or told.
    void kill() {
        runtime.abandon();
        supervisor.reset();
        runtime.abandon();
    }
    void stop() {
        bool stopped = false;
        supervisor->stop(milliseconds(20'000), [&] { stopped = true; });
        ASSERT_TRUE(runtime.advance_until([&] { return stopped; }));
        supervisor.reset();
        runtime.settle();
    }

    Offset send(int partition, const std::string& user, const std::string& task,
                std::optional<std::string> key = {}) {
        return transport.append({"tasks", {partition}}, std::move(key), event(user, task));
    }
    std::string event(const std::string& user, const std::string& task) {
        return R"({"event_id":")" + random_uuid(runtime.random()) +
               R"(","schema_version":1,"event_type":"created","timestamp":"2026-01-01T00:00:00Z","task_id":")" +
               task + R"(","user_id":")" + user + R"(","task_data":{"title":"t"}})";
    }
    // What /v1/handlers says of the handler, and of one of its partitions.
    boost::json::object status() {
        return boost::json::parse(supervisor->status()).at("handlers").at(0).as_object();
    }
    boost::json::object partition(std::size_t which) {
        return status().at("partitions").at(which).as_object();
    }
    // Gauges follow within a second.
    std::string metrics_text() {
        runtime.advance(milliseconds(1'100));
        return metrics->text();
    }
    // "user:task;" of every row of every shard.
    std::string rows() {
        std::string answer;
        supervisor->query("model", "rows", {}, [&](const Result<std::string>& got) {
            answer = got ? *got : got.error().message;
        });
        runtime.settle();
        const auto begin = answer.find(R"("rows":")") + 8;
        return answer.substr(begin, answer.find('"', begin) - begin);
    }
    Offset committed(int partition, const std::string& topic = "tasks") {
        runtime.advance(milliseconds(200));
        return transport.committed["test.model"][{topic, {partition}}];
    }
    // Everything that can happen without the clock moving far.
    void run() { runtime.advance(milliseconds(100)); }

    TemporaryDirectory directory;
    ManualRuntime runtime;
    std::unique_ptr<Metrics> metrics = std::make_unique<Metrics>();
    MemoryTransport transport;
    RecordingSink push;
    RecordingCaller http;
    SchemaSet schemas;
    EnvelopeReader reader;
    std::shared_ptr<ModelHandler> model;
    HandlerSection section;
    std::string vfs;
    std::vector<engine::HandlerSetup> others;  // handlers beside the model
    bool accept_unmoved_state = false;
    engine::CrashJournal* crashes = nullptr;
    std::vector<std::string> gave_up;
    std::unique_ptr<engine::Supervisor> supervisor;
};

}  // namespace millrace::testing
