// Where the configuration comes from: the file, then the environment, then the command line.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "core/config/load.hpp"

namespace millrace::config {
namespace {

// The names that other projects use for the same things. The first that is set counts.
struct Override {
    const char* variable;
    const char* path;
};
constexpr std::array<Override, 6> kOverrides{{
    {"KAFKA_BOOTSTRAP_SERVERS", "kafka.brokers"},
    {"KAFKA_BROKERS", "kafka.brokers"},
    {"KAFKA_SECURITY_PROTOCOL", "kafka.properties.security.protocol"},
    {"KAFKA_SASL_MECHANISM", "kafka.properties.sasl.mechanism"},
    {"KAFKA_SASL_USERNAME", "kafka.properties.sasl.username"},
    {"KAFKA_SASL_PASSWORD", "kafka.properties.sasl.password"},
}};
constexpr std::array<const char*, 2> kDaprSwitches{"USE_DAPR", "DAPR_ENABLED"};
constexpr std::array<const char*, 2> kPlaces{"config/millrace.yaml", "/etc/millrace/millrace.yaml"};

std::optional<std::string> environment(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::string find_file(const std::string& named) {
    if (!named.empty()) return named;
    if (const auto value = environment("MILLRACE_CONFIG"); value && !value->empty()) return *value;
    for (const char* place : kPlaces) {
        if (std::filesystem::exists(place)) return place;
    }
    throw ConfigError(
        fmt::format("no configuration: neither {} is there; name a file with "
                    "--config or in MILLRACE_CONFIG",
                    fmt::join(kPlaces, " nor ")));
}

// librdkafka has two names for one property; what is laid over the other name must replace it.
std::string with_the_name_in_use(const ConfigNode& root, std::string path) {
    constexpr std::string_view kOne = "kafka.properties.sasl.mechanism";
    constexpr std::string_view kOther = "kafka.properties.sasl.mechanisms";
    if (path != kOne && path != kOther) return path;
    const auto parent = nearest_node(root, {"kafka", "properties"});
    if (parent.path() != "kafka.properties" || parent.kind() != ConfigNode::Kind::kMapping)
        return path;
    const std::string_view other = path == kOne ? kOther : kOne;
    return parent.find(other.substr(parent.path().size() + 1)) ? std::string(other) : path;
}

void lay_over(ConfigNode& root, const std::string& path, const std::string& value,
              const std::string& origin, Faults& faults) {
    faults.attempt([&] { root.set(with_the_name_in_use(root, path), value, origin); });
}

void apply_environment(ConfigNode& root, Faults& faults) {
    for (const auto& [variable, path] : kOverrides) {
        const auto value = environment(variable);
        if (!value || value->empty()) continue;
        lay_over(root, path, *value, fmt::format("environment {}", variable), faults);
    }
}

void refuse_dapr(Faults& faults) {
    for (const char* name : kDaprSwitches) {
        std::string value = environment(name).value_or("");
        std::ranges::transform(value, value.begin(), [](char character) {
            return static_cast<char>(std::tolower(static_cast<unsigned char>(character)));
        });
        const auto is_one_of = [&value](std::initializer_list<const char*> words) {
            return std::ranges::find(words, value) != words.end();
        };
        if (is_one_of({"", "false", "0", "no", "off"})) continue;
        if (is_one_of({"true", "1", "yes", "on"}))
            faults.add(
                fmt::format("environment {}: this version has no Dapr transport; set it to "
                            "false and choose transport: embedded or kafka",
                            name));
        else
            faults.add(fmt::format("environment {}: expected true or false", name));
    }
}

void apply_settings(ConfigNode& root, const ConfigSource& source, Faults& faults) {
    for (const auto& [path, value] : source.settings) lay_over(root, path, value, "--set", faults);
    if (source.data_dir) lay_over(root, "server.data_dir", *source.data_dir, "--data-dir", faults);
}

}  // namespace

Gathered gather(const ConfigSource& source, Faults& faults) {
    Gathered gathered;
    gathered.file = find_file(source.file);
    gathered.root = ConfigNode::load_file(gathered.file, environment);
    refuse_dapr(faults);
    apply_environment(gathered.root, faults);
    apply_settings(gathered.root, source, faults);
    return gathered;
}

ConfigNode nearest_node(const ConfigNode& root, const std::vector<std::string>& keys) {
    ConfigNode node = root;
    for (const std::string& key : keys) {
        if (node.kind() != ConfigNode::Kind::kMapping) break;
        auto next = node.find(key);
        if (!next) break;
        node = *next;
    }
    return node;
}

}  // namespace millrace::config
