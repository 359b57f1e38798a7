#include "cli/blueprint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "events/canonical.hpp"
#include "transport/kafka/properties.hpp"

namespace millrace::cli {

std::vector<std::string> plugin_directories(const ServerConfig& config) {
    if (!config.server.plugin_dirs.empty()) return config.server.plugin_dirs;
    std::error_code error;
    const auto executable = std::filesystem::read_symlink("/proc/self/exe", error);
    if (error) return {"plugins"};
    const auto beside = executable.parent_path() / "plugins";
    if (std::filesystem::exists(beside)) return {beside.string()};
    return {(executable.parent_path().parent_path() / "lib/millrace/plugins").string()};
}

std::vector<HandlerSection> handler_sections(const ServerConfig& config,
                                             const plugins::PluginSet& plugins) {
    std::vector<HandlerSection> sections = config.handlers;
    for (const auto& plugin : plugins.plugins()) {
        const auto& topics = plugin->traits().topics;
        const bool used = std::ranges::any_of(config.handlers, [&](const auto& handler) {
            return handler.plugin == plugin->name() || handler.name == plugin->name();
        });
        if (topics.empty() || used) continue;
        HandlerSection section;
        section.name = section.plugin = plugin->name();
        section.topics = topics;
        section.dead_letters = config.dead_letters;
        section.origin = plugin->file();
        sections.push_back(std::move(section));
    }
    return sections;
}

Blueprint::Blueprint(const ConfigSource& source, const std::string& plugin_copies)
    : source_(source),
      config_(load_server_config(source)),
      plugin_copies_(plugin_copies.empty() ? config_.server.data_dir + "/plugins" : plugin_copies),
      schemas_(SchemaSet::load(config_.server.schema_dir)) {
    if (config_.transport == TransportKind::kKafka) check_kafka_properties(config_.kafka);
    reader_ = std::make_unique<EnvelopeReader>(
        ConfigNode::load_file(config_.server.schema_dir + "/envelope.yaml", nullptr), schemas_,
        topic_readings());
    plugins_ = plugins::PluginSet::load(plugin_directories(config_), plugin_copies_);
    make_handlers();
}

std::vector<TopicReading> Blueprint::topic_readings() const {
    std::vector<TopicReading> readings;
    std::string faults;
    for (const auto& topic : config_.topics) {
        if (!topic.schema.empty() && !schemas_.has_event(topic.schema)) {
            faults += fmt::format("{}: topics.{}.schema: there is no schema '{}'; there are: {}\n",
                                  topic.origin, topic.name, topic.schema,
                                  fmt::join(schemas_.names(), ", "));
        }
        readings.push_back({topic.name, topic.schema, topic.strict});
    }
    if (!faults.empty()) throw ConfigError(faults.substr(0, faults.size() - 1));
    return readings;
}

engine::HandlerSetup Blueprint::make_handler(const HandlerSection& section,
                                             const plugins::PluginSet& plugins) const {
    std::map<std::string, std::string> dead_letters;
    for (const auto& topic : config_.topics) dead_letters[topic.name] = topic.dead_letter;
    for (const auto& topic : section.topics) {
        if (!dead_letters.contains(topic))
            throw ConfigError(
                fmt::format("{}: handler {} reads {}, which is none of the topics that "
                            "the server starts with: declare it and (re)start",
                            section.origin, section.name, topic));
    }
    return {section, plugins.make_factory(section, config_.server.limits), dead_letters};
}

void Blueprint::make_handlers() {
    std::string faults;
    for (const auto& section : handler_sections(config_, plugins_)) {
        try {
            handlers_.push_back(make_handler(section, plugins_));
        } catch (const ErrorException& error) {
            faults += std::string(error.what()) + "\n";
        }
    }
    if (!faults.empty()) throw ConfigError(faults.substr(0, faults.size() - 1));
}

std::vector<TopicSpec> Blueprint::topics() const {
    std::vector<TopicSpec> specs;
    for (const auto& topic : config_.topics) {
        TopicSpec source;
        source.name = topic.name;
        source.partitions = topic.partitions;
        source.retention = topic.retention;
        TopicSpec letters;
        letters.name = topic.dead_letter;
        letters.partitions = topic.partitions;
        letters.dead_letter = true;
        letters.source = topic.name;
        specs.push_back(std::move(source));
        specs.push_back(std::move(letters));
    }
    return specs;
}

Result<void> Blueprint::check_event(std::string_view topic, std::string_view event) const {
    const auto declared = std::ranges::find(config_.topics, topic, &TopicSection::name);
    if (declared == config_.topics.end()) {
        return fail(ErrorCode::kNotFound,
                    fmt::format("{}: not one of the configuration's topics", topic));
    }
    return check_canonical(schemas_, declared->schema, event);
}

}  // namespace millrace::cli
