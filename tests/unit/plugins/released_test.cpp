// Plugins that were built with the header of an earlier release, and that alone, in today's server.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "events/schemas.hpp"
#include "plugins/host.hpp"
#include "plugins/options.hpp"
#include "plugins/plugin_set.hpp"
#include "support/fake_services.hpp"

namespace millrace::plugins {
namespace {

using engine::OutcomeKind;
using testing::FakeServices;

const std::string kReleased = MILLRACE_BINARY_DIR "/released_plugins/";

class Released1 : public ::testing::Test {
protected:
    void SetUp() override {
        auto loaded = PluginSet::load_file(kReleased + "v1.0.so", {});
        ASSERT_TRUE(loaded) << loaded.error().message;
        plugin_ = *loaded;
        config_ = make_config(ConfigNode::parse("{}", "test.yaml", nullptr), plugin_->options(),
                              "test.yaml:1");
        factory_ = std::make_unique<PluginFactory>(plugin_, "handler", config_);
        services_.trust = sqlite::Trust::kPluginSchema;
        ASSERT_TRUE(factory_->migrate(services_, 0));
        services_.trust = sqlite::Trust::kPlugin;
        instance_ = factory_->create({"handler", "3"}, services_).value();
    }

    DecodedBatchPtr decode(const std::string& type) const {
        return reader_.decode_one(
            "task-events",
            R"({"event_id":"6e6f4b0e-5f0c-4d52-8a0e-0d7a43d6f3a1","event_type":")" + type +
                R"(","user_id":"7","task_id":"42","task_data":{"title":"Milk"}})",
            {});
    }
    engine::MessageInput input(const DecodedBatchPtr& batch) const {
        return {origin_, batch->events.at(0), reader_, 1, {77, 2}};
    }
    engine::Outcome send(const std::string& type) {
        const auto batch = decode(type);
        return instance_->on_message(input(batch));
    }

    SchemaSet schemas_ = SchemaSet::load(MILLRACE_SOURCE_DIR "/schemas");
    EnvelopeReader reader_{
        ConfigNode::load_file(MILLRACE_SOURCE_DIR "/schemas/envelope.yaml", nullptr),
        schemas_,
        {{"task-events", "task-event", false}}};
    TopicPartition origin_{"task-events", Partition{2}};
    FakeServices services_;
    std::shared_ptr<const Plugin> plugin_;
    std::string config_;
    std::unique_ptr<PluginFactory> factory_;
    std::unique_ptr<engine::HandlerInstance> instance_;
};

TEST_F(Released1, says_what_it_is) {
    EXPECT_EQ(plugin_->name(), "released");
    EXPECT_EQ(plugin_->description(), "Uses all of interface 1.0.");
    EXPECT_EQ(config_, R"({"mode":"all"})");
    EXPECT_EQ(plugin_->traits().questions, (std::vector<std::string>{"notes", "unknown"}));
    EXPECT_EQ(plugin_->traits().parameters.at("notes"), std::vector<std::string>{"which"});
    EXPECT_STREQ(plugin_->questions()[0].description, "What happened.");
}

TEST_F(Released1, uses_every_service) {
    EXPECT_EQ(send("created").kind, OutcomeKind::kAck);
    EXPECT_EQ(services_.asked,
              (std::vector<std::string>{
                  "log 3", R"(publish task-updates 7 {"event_type":"updated"})",
                  "call ask POST http://127.0.0.1/", "set_timer wake 7 6000000 42",
                  "cancel_timer no such timer", "push 7 task-events/2 created", "count handled"}));
}

TEST_F(Released1, gives_every_outcome) {
    const auto later = send("deleted");
    EXPECT_EQ(later.kind, OutcomeKind::kRetry);
    EXPECT_EQ(later.reason, "later");
    EXPECT_EQ(later.retry_after, milliseconds(250));
    EXPECT_EQ(send("completed").kind, OutcomeKind::kPending);
    EXPECT_EQ(services_.asked.back(), "complete 77/2 done");
    EXPECT_EQ(send("updated").kind, OutcomeKind::kIgnore);
}

TEST_F(Released1, answers_what_every_other_callback_noted) {
    const auto batch = decode("completed");
    EXPECT_EQ(instance_->on_complete(input(batch), "done").kind, OutcomeKind::kAck);
    EXPECT_EQ(instance_->on_timer({"wake", "7", "42", Timestamp(), 1}).kind, OutcomeKind::kAck);
    EXPECT_EQ(instance_->on_response({"ask", "7", "", 200, "yes", 1}).kind, OutcomeKind::kAck);
    EXPECT_TRUE(instance_->on_rollback(engine::HandlerInstance::RollbackScope::kBatch));
    services_.counts = {{"task-events", Partition{2}}, Offset{0}, Offset{9}, 4, 1, 1, 1};
    const std::string answer = instance_->on_query("notes", {}).value();
    EXPECT_EQ(answer, R"(["completion:done","timer:42","response:yes","task-events:4"])");
    const std::vector<std::string> answers{"[]", answer};
    EXPECT_EQ(factory_->merge("notes", {}, answers).value(), answer);
    EXPECT_EQ(instance_->on_query("unknown", {}).error().code, ErrorCode::kNotFound);
    const std::vector<std::pair<std::string, std::string>> wrong{{"which", "none"}};
    EXPECT_EQ(instance_->on_query("notes", wrong).error().message, "'which' must be all");
}

TEST_F(Released1, refuses_its_options_and_ends_in_order) {
    EXPECT_NO_THROW(check_config(plugin_->api(), {}, config_, "x"));
    EXPECT_THROW(check_config(plugin_->api(), {}, R"({"mode":"some"})", "x"), ConfigError);
    PluginFactory other(plugin_, "handler", R"({"mode":"some"})");
    EXPECT_NE(other.create({"handler", "3"}, services_)
                  .error()
                  .message.find("not the options it expects"),
              std::string::npos);
    instance_.reset();
    EXPECT_EQ(services_.asked.back(), "log stops");
}

}  // namespace
}  // namespace millrace::plugins
