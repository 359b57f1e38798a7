#include "core/config/server_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace millrace {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

constexpr std::array<const char*, 11> kVariables{
    "MILLRACE_ADMIN_TOKEN", "KAFKA_PASSWORD",          "MILLRACE_CONFIG",
    "KAFKA_BROKERS",        "KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SASL_MECHANISM",
    "KAFKA_SASL_USERNAME",  "KAFKA_SASL_PASSWORD",     "USE_DAPR",
    "DAPR_ENABLED",         "KAFKA_SECURITY_PROTOCOL"};

// A folder with a millrace.yaml and a schema, and an environment of its own.
class ServerConfigFile : public testing::Test {
protected:
    ServerConfigFile() {
        std::string pattern = testing::TempDir() + "config-XXXXXX";
        folder_ = mkdtemp(pattern.data());
        std::filesystem::create_directory(folder_ / "schemas");
        std::ofstream(folder_ / "schemas/task-event.v1.json") << "{}";
        for (const char* name : kVariables) unsetenv(name);
    }
    ~ServerConfigFile() override {
        for (const char* name : kVariables) unsetenv(name);
        std::filesystem::remove_all(folder_);
    }

    using Settings = std::vector<std::pair<std::string, std::string>>;

    ServerConfig load(const std::string& text, const Settings& settings = {}) {
        const std::string file = folder_ / "millrace.yaml";
        std::ofstream(file) << text;
        return load_server_config({file, settings, std::nullopt, {}});
    }

    std::string fault(const std::string& text, const Settings& settings = {}) {
        try {
            load(text, settings);
        } catch (const ConfigError& error) {
            return error.what();
        }
        return "no error";
    }

    // The faults of a file that is right but for `text`.
    std::string fault_in(const std::string& text) { return fault(text + kTopics); }

    static constexpr const char* kTopics = "\ntopics: {orders: {schema: task-event}}\n";
    std::filesystem::path folder_;
};

std::string shipped_file() { return std::string(MILLRACE_SOURCE_DIR) + "/config/millrace.yaml"; }

void expect_defaults(const HandlerSection& handler) {
    const HandlerSection defaults;
    EXPECT_EQ(handler.start.kind, defaults.start.kind);
    EXPECT_EQ(handler.threads, defaults.threads);
    EXPECT_EQ(handler.shards, defaults.shards);
    EXPECT_EQ(handler.timeout, defaults.timeout);
    EXPECT_EQ(handler.pending_timeout, defaults.pending_timeout);
    EXPECT_EQ(handler.retry.budget, defaults.retry.budget);
    EXPECT_EQ(handler.retry.initial, defaults.retry.initial);
    EXPECT_EQ(handler.retry.maximum, defaults.retry.maximum);
    EXPECT_EQ(handler.retry.multiplier, defaults.retry.multiplier);
    EXPECT_EQ(handler.dedupe, defaults.dedupe);
    EXPECT_EQ(handler.max_in_flight, defaults.max_in_flight);
    EXPECT_EQ(handler.max_buffered, defaults.max_buffered);
    EXPECT_EQ(handler.max_buffered_bytes, defaults.max_buffered_bytes);
    EXPECT_EQ(handler.max_hops, defaults.max_hops);
    EXPECT_EQ(handler.max_batch, defaults.max_batch);
    EXPECT_EQ(handler.max_calls, defaults.max_calls);
    EXPECT_EQ(handler.progress_timeout, defaults.progress_timeout);
    EXPECT_EQ(handler.lost_position, defaults.lost_position);
    EXPECT_EQ(handler.crash_limit, defaults.crash_limit);
    EXPECT_EQ(handler.crash_window, defaults.crash_window);
    EXPECT_EQ(handler.quarantine_after, defaults.quarantine_after);
    EXPECT_EQ(handler.stuck_exit, defaults.stuck_exit);
    EXPECT_EQ(handler.max_outbox, defaults.max_outbox);
    EXPECT_EQ(handler.call_timeout, defaults.call_timeout);
    EXPECT_EQ(handler.call_retry_for, defaults.call_retry_for);
}

TEST_F(ServerConfigFile, the_shipped_file_shows_the_defaults) {
    const ServerConfig config = load_server_config({shipped_file(), {}, std::nullopt, {}});
    const ServerConfig defaults;
    EXPECT_EQ(config.server.http.port, defaults.server.http.port);
    EXPECT_EQ(config.server.http.host, defaults.server.http.host);
    EXPECT_EQ(config.server.admin.port, defaults.server.admin.port);
    EXPECT_EQ(config.server.data_dir, defaults.server.data_dir);
    EXPECT_EQ(config.server.plugin_dirs, defaults.server.plugin_dirs);
    EXPECT_EQ(config.server.hosts, defaults.server.hosts);
    EXPECT_EQ(config.server.allow_open, defaults.server.allow_open);
    EXPECT_EQ(config.server.drain_timeout, defaults.server.drain_timeout);
    EXPECT_EQ(config.server.limits.max_body_bytes, defaults.server.limits.max_body_bytes);
    EXPECT_EQ(config.server.limits.max_pending_body_bytes, defaults.server.limits.max_pending_body_bytes);
    EXPECT_EQ(config.server.limits.max_header_bytes, defaults.server.limits.max_header_bytes);
    EXPECT_EQ(config.server.limits.max_batch_events, defaults.server.limits.max_batch_events);
    EXPECT_EQ(config.server.limits.max_connections, defaults.server.limits.max_connections);
    EXPECT_EQ(config.server.limits.max_answer_bytes, defaults.server.limits.max_answer_bytes);
    EXPECT_EQ(config.server.limits.max_calls, defaults.server.limits.max_calls);
    EXPECT_EQ(config.server.limits.max_waiting_calls, defaults.server.limits.max_waiting_calls);
    EXPECT_EQ(config.server.limits.request_timeout, defaults.server.limits.request_timeout);
    EXPECT_EQ(config.server.limits.idle_timeout, defaults.server.limits.idle_timeout);
    EXPECT_EQ(config.log.level, defaults.log.level);
    EXPECT_EQ(config.log.format, defaults.log.format);
    EXPECT_EQ(config.transport, defaults.transport);
    EXPECT_EQ(config.cluster, defaults.cluster);
    EXPECT_EQ(config.embedded.segment_age, defaults.embedded.segment_age);
    EXPECT_EQ(config.embedded.segment_bytes, defaults.embedded.segment_bytes);
    EXPECT_EQ(config.embedded.disk_reserve_bytes, defaults.embedded.disk_reserve_bytes);
    EXPECT_EQ(config.embedded.tail_cache_bytes, defaults.embedded.tail_cache_bytes);
    EXPECT_EQ(config.embedded.max_pending_records, defaults.embedded.max_pending_records);
    EXPECT_EQ(config.embedded.max_pending_bytes, defaults.embedded.max_pending_bytes);
    EXPECT_EQ(config.embedded.max_record_bytes, defaults.embedded.max_record_bytes);
    EXPECT_EQ(config.kafka.max_pending_records, defaults.kafka.max_pending_records);
    EXPECT_EQ(config.kafka.max_pending_bytes, defaults.kafka.max_pending_bytes);
    EXPECT_EQ(config.kafka.brokers, defaults.kafka.brokers);
    EXPECT_EQ(config.kafka.group_prefix, defaults.kafka.group_prefix);
    EXPECT_EQ(config.kafka.create_topics, defaults.kafka.create_topics);
    EXPECT_EQ(config.kafka.properties, defaults.kafka.properties);
    EXPECT_EQ(config.kafka.prefetch_bytes, defaults.kafka.prefetch_bytes);
    EXPECT_EQ(config.kafka.drain_timeout, defaults.kafka.drain_timeout);
    EXPECT_EQ(config.dead_letters.connect_headers, defaults.dead_letters.connect_headers);
    EXPECT_EQ(config.dead_letters.spring_headers, defaults.dead_letters.spring_headers);
    EXPECT_EQ(config.dead_letters.redrive_rate, defaults.dead_letters.redrive_rate);
    EXPECT_EQ(config.gateway.auth, defaults.gateway.auth);
    EXPECT_EQ(config.gateway.origins, defaults.gateway.origins);
    EXPECT_EQ(config.gateway.resume_age, defaults.gateway.resume_age);
    EXPECT_EQ(config.gateway.resume_events, defaults.gateway.resume_events);
    EXPECT_EQ(config.gateway.resume_bytes, defaults.gateway.resume_bytes);
    EXPECT_EQ(config.gateway.resume_total_bytes, defaults.gateway.resume_total_bytes);
    EXPECT_EQ(config.gateway.max_sessions, defaults.gateway.max_sessions);
    EXPECT_EQ(config.gateway.max_sessions_per_user, defaults.gateway.max_sessions_per_user);
    EXPECT_EQ(config.gateway.max_session_queue_bytes, defaults.gateway.max_session_queue_bytes);
    EXPECT_EQ(config.gateway.max_message_bytes, defaults.gateway.max_message_bytes);
    EXPECT_EQ(config.gateway.max_user_bytes, defaults.gateway.max_user_bytes);
    EXPECT_EQ(config.gateway.auth_timeout, defaults.gateway.auth_timeout);
    EXPECT_EQ(config.gateway.ping_interval, defaults.gateway.ping_interval);
    EXPECT_EQ(config.ingest.tokens, defaults.ingest.tokens);
    for (const HandlerSection& handler : config.handlers) expect_defaults(handler);
}

TEST_F(ServerConfigFile, the_shipped_file_has_the_topics_and_handlers_of_the_task_domain) {
    const ServerConfig config = load_server_config({shipped_file(), {}, std::nullopt, {}});
    ASSERT_EQ(config.topics.size(), 3U);
    using namespace std::chrono_literals;
    EXPECT_EQ(config.topics[0].retention, 168h);
    EXPECT_EQ(config.topics[1].retention, 24h);
    EXPECT_EQ(config.topics[2].retention, 1h);
    EXPECT_EQ(config.topics[2].dead_letter, "task-updates-dlq");
    ASSERT_EQ(config.handlers.size(), 4U);
    EXPECT_THAT(config.handlers[1].topics, ElementsAre("reminders", "task-events"));
    EXPECT_EQ(std::filesystem::path(config.server.schema_dir),
              std::filesystem::path(MILLRACE_SOURCE_DIR) / "schemas");
}

// A key in a comment (`# key: value`) is a promise too: taking `# ` away must do.
TEST_F(ServerConfigFile, every_key_that_the_shipped_file_shows_in_a_comment_is_known) {
    std::ifstream file(shipped_file());
    std::string text;
    for (std::string line; std::getline(file, line);) {
        const std::size_t hash = line.find_first_not_of(' ');
        const bool is_comment = hash != std::string::npos && hash > 0 && line[hash] == '#';
        const std::size_t key = is_comment ? line.find_first_not_of(' ', hash + 1) : 0;
        const std::size_t end = line.find_first_of(" :", key);
        if (is_comment && end != std::string::npos && line[end] == ':') line.erase(hash, 2);
        text += line + "\n";
    }
    setenv("MILLRACE_ADMIN_TOKEN", "0123456789abcdef", 1);
    setenv("KAFKA_PASSWORD", "hunter2", 1);
    std::ofstream(folder_ / "schemas/reminder-event.v1.json") << "{}";
    std::ofstream(folder_ / "schemas/task-update-event.v1.json") << "{}";
    const ServerConfig config = load(text, {{"server.plugin_dirs", "[" + folder_.string() + "]"},
                                            {"server.schema_dir", folder_ / "schemas"}});
    EXPECT_EQ(config.server.admin_token, "0123456789abcdef");
    EXPECT_EQ(config.kafka.brokers, "127.0.0.1:9092");
    EXPECT_THAT(config.kafka.properties, Contains(Pair("sasl.password", "hunter2")));
    EXPECT_EQ(config.handlers.at(0).config.find("topic")->as_string(), "task-events");
    EXPECT_TRUE(config.handlers.at(1).config.find("late_after"));
}

TEST_F(ServerConfigFile, a_wrong_number_of_threads_is_told_that_it_may_be_auto) {
    const std::string handler = "handlers: {audit: {topics: [orders], threads: %}}";
    for (const char* wrong : {"lots", "0", "257", "[1]"}) {
        std::string text = handler;
        text.replace(text.find('%'), 1, wrong);
        EXPECT_THAT(fault_in(text), HasSubstr("expected auto or a whole number from 1 to 256"))
            << wrong;
    }
}

TEST_F(ServerConfigFile, a_record_must_fit_into_what_may_wait) {
    EXPECT_THAT(fault_in("embedded: {max_record_bytes: 2MiB, max_pending_bytes: 1MiB}"),
                HasSubstr("max_record_bytes 2MiB does not fit into max_pending_bytes 1MiB"));
}

TEST_F(ServerConfigFile, an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one) {
    EXPECT_EQ(
        fault_in("server:\n  htp: 127.0.0.1:1\n"),
        (folder_ / "millrace.yaml").string() + ":2: server.htp: unknown key, did you mean 'http'?");
    for (const char* text : {"dapr: {}", "kafka: {security: {}}", "server: {tls: {}}",
                             "handlers: {audit: {topics: [orders], circuit: {}}}"})
        EXPECT_THAT(fault_in(text), HasSubstr("unknown key")) << text;
    EXPECT_THAT(fault_in("transport: dapr"),
                HasSubstr("transport: is 'dapr', expected embedded or kafka"));
    EXPECT_THAT(fault_in("gateway: {auth: {mode: jwt}}"), HasSubstr("expected none"));
}

TEST_F(ServerConfigFile, all_faults_are_told_at_once) {
    const std::string faults = fault_in(
        "server: {http: nowhere, drain_timeout: 20}\nlog: [x]\n"
        "gateway: {limits: {max_sessions: 0, max_message_bytes: 1}}\n");
    EXPECT_THAT(faults, AllOf(HasSubstr(":1: server.http: is 'nowhere', expected host:port"),
                              HasSubstr(":1: server.drain_timeout: is '20', expected a duration"),
                              HasSubstr(":2: log: is a list, expected a mapping"),
                              HasSubstr(":3: gateway.limits.max_sessions: is '0', expected a "
                                        "whole number from 1"),
                              HasSubstr("max_message_bytes: is 1, expected 1KiB to 64MiB")));
}

TEST_F(ServerConfigFile, a_file_that_is_not_there_is_named) {
    try {
        load_server_config({folder_ / "none.yaml", {}, std::nullopt, {}});
        FAIL();
    } catch (const ConfigError& error) {
        EXPECT_THAT(error.what(), HasSubstr("none.yaml: cannot be read"));
    }
    setenv("MILLRACE_CONFIG", "/nowhere/else.yaml", 1);
    EXPECT_THROW(load_server_config({}), ConfigError);
}

TEST_F(ServerConfigFile, a_setting_beats_the_environment_which_beats_the_file) {
    const std::string text = std::string("kafka: {brokers: 'file:1'}") + kTopics;
    EXPECT_EQ(load(text).kafka.brokers, "file:1");
    setenv("KAFKA_BOOTSTRAP_SERVERS", "second:2", 1);
    EXPECT_EQ(load(text).kafka.brokers, "second:2");
    setenv("KAFKA_BROKERS", "first:1, other:2", 1);
    EXPECT_EQ(load(text).kafka.brokers, "first:1,other:2");
    EXPECT_EQ(load(text).transport, TransportKind::kEmbedded);
    EXPECT_EQ(load(text, {{"kafka.brokers", "set:1"}}).kafka.brokers, "set:1");
    setenv("KAFKA_BROKERS", "first", 1);
    EXPECT_THAT(fault(text), HasSubstr("environment KAFKA_BROKERS: kafka.brokers: has the broker "
                                       "'first', expected host:port"));
}

TEST_F(ServerConfigFile, the_sasl_variables_become_properties_and_stay_secret) {
    setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL", 1);
    setenv("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512", 1);
    setenv("KAFKA_SASL_USERNAME", "$ConnectionString", 1);
    setenv("KAFKA_SASL_PASSWORD", "hunter2", 1);
    const std::string text =
        std::string("kafka: {properties: {sasl.mechanisms: PLAIN, linger.ms: 5}}") + kTopics;
    EXPECT_THAT(
        load(text).kafka.properties,
        ElementsAre(Pair("sasl.mechanisms", "SCRAM-SHA-512"), Pair("linger.ms", "5"),
                    Pair("security.protocol", "SASL_SSL"),
                    Pair("sasl.username", "$ConnectionString"), Pair("sasl.password", "hunter2")));
    const std::string faults = fault(text, {{"kafka.properties.acks", "1"}, {"x", "hunter2"}});
    EXPECT_THAT(faults, HasSubstr("--set: kafka.properties.acks: is not for you to set: a record"));
    EXPECT_THAT(faults, Not(HasSubstr("hunter2")));
}

TEST_F(ServerConfigFile, properties_that_the_guarantees_stand_on_are_refused_with_why) {
    for (const char* name : {"enable.auto.commit", "auto.offset.reset", "group.id", "log.queue",
                             "bootstrap.servers", "enable.partition.eof", "rebalance_cb"})
        EXPECT_THAT(fault_in(std::string("kafka: {properties: {") + name + ": x}}"),
                    HasSubstr("is not for you to set: "))
            << name;
    EXPECT_THAT(fault_in("kafka: {properties: {sasl: {username: x}}}"),
                HasSubstr("kafka.properties.sasl: is a mapping, expected one value"));
}

TEST_F(ServerConfigFile, dapr_is_refused_and_its_absence_has_no_effect) {
    setenv("USE_DAPR", "False", 1);
    EXPECT_EQ(fault_in(""), "no error");
    setenv("USE_DAPR", "true", 1);
    EXPECT_THAT(fault_in(""), HasSubstr("environment USE_DAPR: this version has no Dapr"));
    setenv("USE_DAPR", "", 1);
    setenv("DAPR_ENABLED", "maybe", 1);
    EXPECT_THAT(fault_in(""), HasSubstr("environment DAPR_ENABLED: expected true or false"));
}

TEST_F(ServerConfigFile, kafka_without_brokers_is_refused) {
    EXPECT_THAT(fault_in("transport: kafka"), HasSubstr(":1: transport: is kafka, but "));
    const std::string text = std::string("log: {}") + kTopics;
    EXPECT_EQ(load(text, {{"transport", "kafka"}, {"kafka.brokers", "127.0.0.1:9092"}}).transport,
              TransportKind::kKafka);
    EXPECT_THAT(fault(text, {{"transport", "kafka"}}), HasSubstr("--set: transport: is kafka"));
}

TEST_F(ServerConfigFile, several_servers_in_a_group_are_a_choice) {
    const std::string text = std::string("log: {}") + kTopics;
    EXPECT_EQ(load(text, {{"cluster", "accept_unmoved_state"}}).cluster,
              ClusterKind::kAcceptUnmovedState);
    EXPECT_THAT(fault(text, {{"cluster", "many"}}), HasSubstr("accept_unmoved_state"));
}

TEST_F(ServerConfigFile, nothing_is_left_open_on_an_address_that_others_reach) {
    const std::string open = "server: {http: '0.0.0.0:8080'}";
    EXPECT_THAT(fault_in(open),
                AllOf(HasSubstr("server.http: is 0.0.0.0, where anybody could read"),
                      HasSubstr("where anybody could write events")));
    EXPECT_THAT(fault_in(open + "\ningest: {tokens: [long-enough]}"),
                AllOf(HasSubstr("anybody could read"), Not(HasSubstr("anybody could write"))));
    EXPECT_EQ(fault_in("server: {http: '0.0.0.0:8080', allow_open: true}"), "no error");
    for (const char* address : {"127.9.9.9:1", "'[::1]:1'", "localhost:1"})
        EXPECT_EQ(fault_in(std::string("server: {http: ") + address + "}"), "no error") << address;
    for (const char* address : {"127.0.0.1.example:1", "'[::]:1'", "myhost:1"})
        EXPECT_THAT(fault_in(std::string("server: {http: ") + address + "}"),
                    HasSubstr("where anybody"))
            << address;
}

TEST_F(ServerConfigFile, a_handler_names_topics_that_are_declared) {
    EXPECT_THAT(fault_in("handlers:\n  audit:\n    topics: [order, orders, orders]"),
                AllOf(HasSubstr(":3: handlers.audit.topics[0]: 'order' is not declared under "
                                "topics, did you mean 'orders'?"),
                      HasSubstr("topics[2]: 'orders' is named twice")));
    EXPECT_THAT(fault_in("handlers: {audit: {}}"), HasSubstr("handlers.audit: has no topics"));
    EXPECT_THAT(fault_in("handlers: {'au/dit': {topics: [orders]}}"),
                HasSubstr("the name must be"));
    EXPECT_THAT(fault("log: {}"), HasSubstr("has no topics, expected at least one"));
}

TEST_F(ServerConfigFile, dead_letters_that_would_meet_are_refused) {
    EXPECT_THAT(fault("topics: {a: {}, a-dlq: {}}"),
                HasSubstr("topics.a: the dead letters of a would go to a-dlq, which is declared"));
    EXPECT_THAT(
        fault("topics: {a: {dead_letter: x}, b: {dead_letter: x}}"),
        HasSubstr("topics.b.dead_letter: the dead letters of b would go to x, as those of a"));
}

TEST_F(ServerConfigFile, a_schema_that_is_not_there_is_refused) {
    EXPECT_THAT(fault("topics: {a: {schema: task-evnt}}"),
                HasSubstr("task-evnt.v1.json, did you mean 'task-event'?"));
    EXPECT_THAT(fault("topics: {a: {mode: strict}}"), HasSubstr("mode strict but no schema"));
}

TEST_F(ServerConfigFile, a_handler_is_read_whole) {
    const ServerConfig config = load(
        "handlers:\n  mine:\n    plugin: audit\n    topics: [orders]\n    start: 2h\n"
        "    threads: 3\n    retry: {initial: 1s, maximum: 2s}\n    lost_position: accept\n"
        "    config: {depth: 3}\n" +
        std::string(kTopics));
    const HandlerSection& handler = config.handlers.at(0);
    using namespace std::chrono_literals;
    EXPECT_EQ(handler.plugin, "audit");
    EXPECT_EQ(handler.start.kind, HandlerSection::Start::Kind::kAgo);
    EXPECT_EQ(handler.start.ago, 2h);
    EXPECT_EQ(handler.threads, 3);
    EXPECT_EQ(handler.retry.maximum, 2s);
    EXPECT_EQ(handler.lost_position, HandlerSection::LostPosition::kAccept);
    EXPECT_EQ(handler.config.to_json(), R"({"depth":3})");
    EXPECT_EQ(handler.config.path(), "handlers.mine.config");
    EXPECT_EQ(handler.origin, (folder_ / "millrace.yaml").string() + ":2");
    EXPECT_THAT(fault_in("handlers: {a: {topics: [orders], retry: {initial: 9s}}}"),
                HasSubstr("handlers.a.retry: initial 9s is above maximum 5s"));
}

TEST_F(ServerConfigFile, the_command_line_names_the_data_directory_and_plugins) {
    const std::string file = folder_ / "millrace.yaml";
    std::ofstream(file) << kTopics;
    const ServerConfig config =
        load_server_config({file, {{"server.data_dir", "/a"}}, "/b", {folder_.string()}});
    EXPECT_EQ(config.server.data_dir, "/b");
    EXPECT_THAT(config.server.plugin_dirs, ElementsAre(folder_.string()));
    EXPECT_THROW(load_server_config({file, {}, std::nullopt, {"/nowhere"}}), ConfigError);
}

}  // namespace
}  // namespace millrace
