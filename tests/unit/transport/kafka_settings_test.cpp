#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "transport/kafka/properties.hpp"
#include "transport/kafka/settings.hpp"

namespace millrace::kafka {
namespace {

KafkaSection section(std::vector<std::pair<std::string, std::string>> properties = {}) {
    KafkaSection section;
    section.brokers = "127.0.0.1:9092";
    section.properties = std::move(properties);
    return section;
}

std::string value_of(const ConfPtr& conf, const char* name) {
    std::array<char, 256> value{};
    std::size_t size = value.size();
    if (rd_kafka_conf_get(conf.get(), name, value.data(), &size) != RD_KAFKA_CONF_OK)
        return "(none)";
    return value.data();
}

std::string refusal_of(const KafkaSection& section) {
    try {
        const Settings settings(section, "id");
        return "";
    } catch (const ErrorException& error) {
        return error.error().message;
    }
}

TEST(KafkaSettings, a_property_that_the_guarantees_stand_on_is_refused_with_the_reason) {
    const std::string refusal = refusal_of(section({{"enable.auto.commit", "true"}}));
    EXPECT_NE(refusal.find("kafka.properties.enable.auto.commit"), std::string::npos) << refusal;
    EXPECT_NE(refusal.find("after processing"), std::string::npos) << refusal;
    for (const char* name :
         {"auto.offset.reset", "acks", "partitioner", "group.instance.id", "log.queue"})
        EXPECT_NE(refusal_of(section({{name, "1"}})), "") << name;
}

TEST(KafkaSettings, a_property_that_librdkafka_does_not_know_is_refused_by_name) {
    const std::string refusal = refusal_of(section({{"linger.mss", "5"}}));
    EXPECT_NE(refusal.find("kafka.properties.linger.mss"), std::string::npos) << refusal;
}

TEST(KafkaSettings, brokers_must_be_named) {
    KafkaSection nowhere = section();
    nowhere.brokers.clear();
    EXPECT_NE(refusal_of(nowhere).find("kafka.brokers"), std::string::npos);
}

TEST(KafkaSettings, a_users_property_wins_over_the_default) {
    EXPECT_EQ(value_of(Settings(section(), "id").producer(), "linger.ms"), "2");
    EXPECT_EQ(value_of(Settings(section({{"linger.ms", "20"}}), "id").producer(), "linger.ms"),
              "20");
}

TEST(KafkaSettings, partitions_share_the_prefetch_budget) {
    KafkaSection budget = section();
    budget.prefetch_bytes = 8 << 20;
    const Settings settings(budget, "id");
    EXPECT_EQ(value_of(settings.fetcher("g", 4), "queued.max.messages.kbytes"), "2048");
    EXPECT_EQ(value_of(settings.fetcher("g", 100'000), "queued.max.messages.kbytes"), "64");
}

TEST(KafkaSettings, a_member_has_a_static_id_of_group_and_installation) {
    const Settings settings(section(), "abc");
    EXPECT_EQ(value_of(settings.member("millrace.audit", 1), "group.instance.id"),
              "millrace.audit.abc");
    EXPECT_EQ(value_of(settings.member("millrace.audit", 2), "group.instance.id"),
              "millrace.audit.abc.2");
    EXPECT_EQ(value_of(settings.member("millrace.audit", 1), "enable.auto.commit"), "false");
}

// As the configuration reads them; the first line of the file is `properties:`.
std::string fault_of(const std::string& yaml) {
    KafkaSection checked = section();
    checked.properties_node =
        ConfigNode::parse("properties:\n" + yaml, "test.yaml", nullptr).find("properties").value();
    for (const auto& [name, node] : checked.properties_node.members())
        checked.properties.emplace_back(name, node.as_string());
    try {
        check_kafka_properties(checked);
        return "taken";
    } catch (const ConfigError& error) {
        return error.what();
    }
}

TEST(KafkaProperties, good_ones_are_taken_and_none_too) {
    EXPECT_EQ(fault_of("  linger.ms: 20\n  security.protocol: SASL_PLAINTEXT\n  sasl.mechanism: "
                       "PLAIN\n  sasl.username: u\n  sasl.password: p\n"),
              "taken");
    EXPECT_NO_THROW(check_kafka_properties(section()));
}

TEST(KafkaProperties, an_unknown_name_is_told_at_its_line) {
    const std::string fault = fault_of("  linger.ms: 20\n  no.such.prop: true\n");
    EXPECT_TRUE(fault.starts_with("test.yaml:3: properties.no.such.prop: librdkafka ")) << fault;
    EXPECT_NE(fault.find("expected one of its CONFIGURATION.md"), std::string::npos) << fault;
}

TEST(KafkaProperties, a_wrong_value_is_told_with_librdkafkas_own_range) {
    EXPECT_EQ(fault_of("  linger.ms: abc\n"),
              "test.yaml:2: properties.linger.ms: is 'abc', expected 0 .. 900000");
    EXPECT_EQ(fault_of("  security.protocol: BOGUS\n"),
              "test.yaml:2: properties.security.protocol: is 'BOGUS', expected plaintext, ssl, "
              "sasl_plaintext, sasl_ssl");
    const std::string mechanism = fault_of("  sasl.mechanism: BOGUS\n");
    EXPECT_TRUE(mechanism.starts_with("test.yaml:2: properties.sasl.mechanism: ")) << mechanism;
    EXPECT_NE(mechanism.find("expected one of GSSAPI, PLAIN"), std::string::npos) << mechanism;
}

TEST(KafkaProperties, every_fault_is_told) {
    const std::string faults = fault_of("  linger.ms: abc\n  no.such.prop: true\n");
    EXPECT_NE(faults.find("test.yaml:2"), std::string::npos) << faults;
    EXPECT_NE(faults.find("test.yaml:3"), std::string::npos) << faults;
}

TEST(KafkaProperties, what_does_not_go_together_is_told_before_a_client_is_needed) {
    const std::string fault = fault_of("  security.protocol: SSL\n  ssl.ca.location: /nowhere\n");
    EXPECT_TRUE(fault.starts_with("test.yaml:3: properties.ssl.ca.location: ")) << fault;
}

// What the shipped file shows in comments as our own defaults.
TEST(KafkaProperties, the_shipped_file_shows_what_differs_from_librdkafkas_defaults) {
    std::ifstream file(std::string(MILLRACE_SOURCE_DIR) + "/config/millrace.yaml");
    std::map<std::string, std::string> shown;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string hash;
        std::string name;
        std::string value;
        words >> hash >> name >> value;
        if (hash == "#" && name.ends_with(":") && name.find('.') != std::string::npos)
            shown[name.substr(0, name.size() - 1)] = value;
    }
    const ConfPtr conf = Settings(section(), "id").producer();
    for (const char* name :
         {"linger.ms", "message.timeout.ms", "message.max.bytes", "receive.message.max.bytes",
          "queue.buffering.max.messages", "queue.buffering.max.kbytes"})
        EXPECT_EQ(shown[name], value_of(conf, name)) << name;
}

}  // namespace
}  // namespace millrace::kafka
