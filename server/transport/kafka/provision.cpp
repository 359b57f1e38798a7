#include "transport/kafka/provision.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstring>
#include <iterator>
#include <optional>
#include <span>
#include <thread>

#include "core/log.hpp"
#include "transport/kafka/errors.hpp"

namespace millrace::kafka {
namespace {

constexpr milliseconds kMetadataTimeout{5'000};
constexpr milliseconds kAdminTimeout{10'000};
constexpr std::uint64_t kDeadLetterHeadroomBytes = 64 << 10;
constexpr std::uint64_t kBrokerDefaultMaxBytes = 1'048'588;  // Kafka's message.max.bytes
// Metadata may lag behind a creation.
constexpr milliseconds kSettleTimeout{5'000};
constexpr milliseconds kSettleInterval{20};

AdminOptionsPtr options_for(rd_kafka_t* client, rd_kafka_admin_op_t operation) {
    AdminOptionsPtr options(rd_kafka_AdminOptions_new(client, operation));
    std::array<char, 256> reason{};
    rd_kafka_AdminOptions_set_request_timeout(
        options.get(), static_cast<int>(kAdminTimeout.count()), reason.data(), reason.size());
    rd_kafka_AdminOptions_set_operation_timeout(
        options.get(), static_cast<int>(kMetadataTimeout.count()), reason.data(), reason.size());
    return options;
}

EventPtr wait_for(rd_kafka_queue_t* queue) {
    const auto patience = kAdminTimeout + kMetadataTimeout;
    return EventPtr(rd_kafka_queue_poll(queue, static_cast<int>(patience.count())));
}

std::optional<std::uint64_t> max_bytes_in(const rd_kafka_ConfigResource_t* resource) {
    std::size_t count = 0;
    const auto* const* entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (const auto* entry : std::span(entries, count)) {
        if (std::strcmp(rd_kafka_ConfigEntry_name(entry), "max.message.bytes") != 0) continue;
        const std::string_view text = rd_kafka_ConfigEntry_value(entry);
        std::uint64_t value = 0;
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
        if (parsed.ec == std::errc()) return value;
    }
    return std::nullopt;
}

// What the topic accepts; Kafka's default where the broker does not tell.
std::uint64_t max_bytes_of(rd_kafka_t* client, const std::string& topic) {
    const ConfigResourcePtr resource(
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
    rd_kafka_ConfigResource_t* resources = resource.get();
    const QueuePtr queue(rd_kafka_queue_new(client));
    const auto options = options_for(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(client, &resources, 1, options.get(), queue.get());
    const EventPtr event = wait_for(queue.get());
    const auto* result = event ? rd_kafka_event_DescribeConfigs_result(event.get()) : nullptr;
    if (result == nullptr || rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kBrokerDefaultMaxBytes;
    std::size_t count = 0;
    const auto* const* answers = rd_kafka_DescribeConfigs_result_resources(result, &count);
    return count == 0 ? kBrokerDefaultMaxBytes
                      : max_bytes_in(answers[0]).value_or(kBrokerDefaultMaxBytes);
}

std::string source_of(const TopicSpec& topic) {
    constexpr std::string_view kSuffix = "-dlq";
    if (!topic.source.empty() || !topic.name.ends_with(kSuffix)) return topic.source;
    return topic.name.substr(0, topic.name.size() - kSuffix.size());
}

struct Plan {
    std::string name;
    int partitions = 1;
    std::vector<std::pair<std::string, std::string>> configs;
};

Plan plan_for(rd_kafka_t* client, const TopicSpec& topic, const PartitionCounts& counts) {
    Plan plan{topic.name, topic.partitions, {}};
    std::optional<std::uint64_t> max_bytes = topic.max_record_bytes;
    const auto source = counts.find(source_of(topic));
    if (topic.dead_letter && source != counts.end()) {
        plan.partitions = source->second;
        if (!max_bytes) max_bytes = max_bytes_of(client, source->first) + kDeadLetterHeadroomBytes;
    }
    if (topic.dead_letter && !max_bytes)
        max_bytes = kBrokerDefaultMaxBytes + kDeadLetterHeadroomBytes;
    if (max_bytes) plan.configs.emplace_back("max.message.bytes", std::to_string(*max_bytes));
    if (topic.retention)
        plan.configs.emplace_back("retention.ms", std::to_string(topic.retention->count()));
    return plan;
}

std::string command_for(const Plan& plan, const std::string& brokers) {
    std::string command =
        fmt::format("kafka-topics.sh --bootstrap-server {} --create --topic {} --partitions {}",
                    brokers, plan.name, plan.partitions);
    for (const auto& [name, value] : plan.configs)
        command += fmt::format(" --config {}={}", name, value);
    return command;
}

bool may_create(const TopicSpec& topic, KafkaSection::CreateTopics policy) {
    switch (policy) {
        case KafkaSection::CreateTopics::kAll:
            return true;
        case KafkaSection::CreateTopics::kDeadLetters:
            return topic.dead_letter;
        case KafkaSection::CreateTopics::kNone:
            return false;
    }
    return false;
}

Result<void> create_topic(rd_kafka_t* client, const Plan& plan) {
    std::array<char, 256> reason{};
    constexpr int kBrokersReplication = -1;
    const NewTopicPtr topic(rd_kafka_NewTopic_new(
        plan.name.c_str(), plan.partitions, kBrokersReplication, reason.data(), reason.size()));
    if (!topic)
        return fail(ErrorCode::kInvalid,
                    fmt::format("kafka: topic {}: {}", plan.name, reason.data()));
    for (const auto& [name, value] : plan.configs)
        rd_kafka_NewTopic_set_config(topic.get(), name.c_str(), value.c_str());
    rd_kafka_NewTopic_t* topics = topic.get();
    const QueuePtr queue(rd_kafka_queue_new(client));
    const auto options = options_for(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_CreateTopics(client, &topics, 1, options.get(), queue.get());
    const EventPtr event = wait_for(queue.get());
    const auto what = fmt::format("creating topic {}", plan.name);
    const auto* result = event ? rd_kafka_event_CreateTopics_result(event.get()) : nullptr;
    if (result == nullptr) return error_of(RD_KAFKA_RESP_ERR__TIMED_OUT, what);
    if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return error_of(code, what);
    std::size_t count = 0;
    const auto* const* answers = rd_kafka_CreateTopics_result_topics(result, &count);
    const auto code =
        count == 0 ? RD_KAFKA_RESP_ERR__FAIL : rd_kafka_topic_result_error(answers[0]);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        log::info("kafka", "topic {} created with {} partitions", plan.name, plan.partitions);
        return {};
    }
    // Another server was faster.
    if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) return {};
    return error_of(code, what);
}

void warn_of_differences(const std::vector<TopicSpec>& topics, const PartitionCounts& counts) {
    for (const auto& topic : topics) {
        const auto source = counts.find(source_of(topic));
        const int there = counts.at(topic.name);
        if (topic.dead_letter && source != counts.end() && there < source->second)
            log::warn("kafka", "{} has {} partitions, its source {} has {}", topic.name, there,
                      source->first, source->second);
        else if (!topic.dead_letter && there != topic.partitions)
            log::info("kafka", "{} has {} partitions on the broker, {} in the configuration",
                      topic.name, there, topic.partitions);
    }
}

Error missing_error(const std::vector<Plan>& missing, const KafkaSection& section) {
    std::string text = "kafka: topics are missing on the broker";
    for (const auto& plan : missing)
        text += fmt::format("; {}: {}", plan.name, command_for(plan, section.brokers));
    return fail(ErrorCode::kNotFound, text + "; or set kafka.create_topics: all");
}

bool all_there(const std::vector<TopicSpec>& topics, const PartitionCounts& counts) {
    return std::all_of(topics.begin(), topics.end(),
                       [&](const TopicSpec& topic) { return counts.contains(topic.name); });
}

// Sources first: a dead-letter topic takes after its source.
std::vector<TopicSpec> sources_first(std::vector<TopicSpec> topics) {
    std::stable_partition(topics.begin(), topics.end(),
                          [](const TopicSpec& topic) { return !topic.dead_letter; });
    return topics;
}

}  // namespace

Result<PartitionCounts> provision(rd_kafka_t* client, const std::vector<TopicSpec>& topics,
                                  const KafkaSection& section) {
    auto counts = query_partition_counts(client, kMetadataTimeout);
    if (!counts) return counts;
    std::vector<Plan> missing;
    PartitionCounts known = *counts;
    for (const auto& topic : sources_first(topics)) {
        if (known.contains(topic.name)) continue;
        const Plan plan = plan_for(client, topic, known);
        if (!may_create(topic, section.create_topics)) {
            missing.push_back(plan);
            continue;
        }
        const auto created = create_topic(client, plan);
        if (!created) return created.error();
        known[topic.name] = plan.partitions;
    }
    if (!missing.empty()) return missing_error(missing, section);
    const auto deadline = std::chrono::steady_clock::now() + kSettleTimeout;
    while (counts && !all_there(topics, *counts) && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(kSettleInterval);
        counts = query_partition_counts(client, kMetadataTimeout);
    }
    if (counts && !all_there(topics, *counts))
        return fail(ErrorCode::kUnavailable,
                    "kafka: created topics do not show in the metadata yet; retry");
    if (counts) warn_of_differences(topics, *counts);
    return counts;
}

}  // namespace millrace::kafka
