// The `topics` section.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <set>

#include "core/config/load.hpp"
#include "core/config/suggestion.hpp"

namespace millrace::config {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kLongestTopicName = 249;  // Kafka's own bound
constexpr int kMostPartitions = 1'000;
constexpr milliseconds kLongestRetention = 24h * 365 * 100;

void check_topic_name(const ConfigNode& node, const std::string& name) {
    check_name(node, name, "._-", kLongestTopicName);
    if (name == "." || name == "..") node.error("is not a name that Kafka allows");
}

TopicSection read_topic(const std::string& name, const ConfigNode& node, Faults& faults) {
    TopicSection topic;
    topic.name = name;
    topic.origin = node.where();
    topic.dead_letter = name + "-dlq";
    faults.attempt([&] { check_topic_name(node, name); });
    MappingReader reader(node, faults);
    // One way today: the user that the envelope names, where a producer's request gives no key.
    reader.read("key", [](const ConfigNode& key) { key.as_choice({"user_id"}); });
    reader.integer("partitions", topic.partitions, 1, kMostPartitions);
    milliseconds retention{};
    reader.duration("retention", retention, 1s, kLongestRetention);
    if (retention.count() > 0) topic.retention = retention;
    reader.read("schema", [&](const ConfigNode& schema) {
        topic.schema = schema.as_string();
        check_name(schema, topic.schema, "._-", 128);
    });
    reader.choice("mode", topic.strict, {{"tolerant", false}, {"strict", true}});
    reader.read("dead_letter", [&](const ConfigNode& dead_letter) {
        topic.dead_letter = dead_letter.as_string();
        check_topic_name(dead_letter, topic.dead_letter);
    });
    reader.finish();
    if (topic.strict && topic.schema.empty())
        faults.attempt([&] { node.error("has mode strict but no schema; name one"); });
    return topic;
}

std::vector<std::string> schemas_in(const std::string& directory) {
    std::set<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
        const std::string file = entry.path().filename().string();
        const std::size_t version = file.rfind(".v");
        if (version != std::string::npos && file.ends_with(".json"))
            names.insert(file.substr(0, version));
    }
    return {names.begin(), names.end()};
}

}  // namespace

void read_topics(MappingReader& root, ServerConfig& config) {
    const auto section = root.take("topics");
    if (!section) {
        root.faults().attempt([&] { root.node().error("has no topics, expected at least one"); });
        return;
    }
    MappingReader topics(*section, root.faults());
    for (const auto& [name, node] : topics.node().members())
        config.topics.push_back(read_topic(name, node, root.faults()));
}

void check_dead_letters(const ConfigNode& root, const ServerConfig& config, Faults& faults) {
    std::map<std::string, std::string> owners;
    for (const TopicSection& topic : config.topics) {
        const auto node = nearest_node(root, {"topics", topic.name, "dead_letter"});
        faults.attempt([&] {
            const bool declared = std::ranges::find(config.topics, topic.dead_letter,
                                                    &TopicSection::name) != config.topics.end();
            if (declared)
                node.error(
                    fmt::format("the dead letters of {} would go to {}, which is declared as "
                                "a topic itself; choose another dead_letter",
                                topic.name, topic.dead_letter));
            const auto [owner, is_new] = owners.emplace(topic.dead_letter, topic.name);
            if (!is_new)
                node.error(
                    fmt::format("the dead letters of {} would go to {}, as those of {} do; "
                                "choose another dead_letter",
                                topic.name, topic.dead_letter, owner->second));
        });
    }
}

void check_schemas(const ConfigNode& root, const ServerConfig& config, Faults& faults) {
    const std::vector<std::string> known = schemas_in(config.server.schema_dir);
    for (const TopicSection& topic : config.topics) {
        if (topic.schema.empty() || std::ranges::find(known, topic.schema) != known.end()) continue;
        const auto node = nearest_node(root, {"topics", topic.name, "schema"});
        faults.attempt([&] {
            node.error(fmt::format(
                "there is no {}/{}.v1.json, {}", config.server.schema_dir, topic.schema,
                known.empty() ? "set server.schema_dir" : suggestion(topic.schema, known)));
        });
    }
}

}  // namespace millrace::config
