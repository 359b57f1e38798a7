#include <gtest/gtest.h>

#include <array>
#include <string>

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

}  // namespace
}  // namespace millrace::kafka
