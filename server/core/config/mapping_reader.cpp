#include "core/config/mapping_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/config/suggestion.hpp"
#include "core/config/units.hpp"

namespace millrace {

void Faults::raise() const {
    if (!messages_.empty()) throw ConfigError(fmt::format("{}", fmt::join(messages_, "\n")));
}

MappingReader::MappingReader(ConfigNode node, Faults& faults)
    : node_(std::move(node)), faults_(&faults) {
    faults.attempt([this] {
        const ConfigNode given = std::exchange(node_, ConfigNode());
        given.members();
        node_ = given;
    });
}

std::optional<ConfigNode> MappingReader::take(std::string_view key) {
    known_.emplace_back(key);
    return node_.find(key);
}

MappingReader MappingReader::section(std::string_view key) {
    return {take(key).value_or(ConfigNode()), *faults_};
}

void MappingReader::text(std::string_view key, std::string& value) {
    read(key, [&value](const ConfigNode& node) { value = node.as_string(); });
}

void MappingReader::texts(std::string_view key, std::vector<std::string>& values) {
    read(key, [&values](const ConfigNode& node) {
        std::vector<std::string> texts;
        for (const ConfigNode& item : node.items()) texts.push_back(item.as_string());
        values = std::move(texts);
    });
}

void MappingReader::flag(std::string_view key, bool& value) {
    read(key, [&value](const ConfigNode& node) { value = node.as_bool(); });
}

void MappingReader::number(std::string_view key, double& value, double minimum, double maximum) {
    read(key, [&](const ConfigNode& node) { value = node.as_number(minimum, maximum); });
}

void MappingReader::duration(std::string_view key, milliseconds& value, milliseconds minimum,
                             milliseconds maximum) {
    read(key, [&](const ConfigNode& node) {
        const milliseconds given = node.as_duration();
        if (given < minimum || given > maximum)
            node.error(fmt::format("is {}, expected {} to {}", config::format_duration(given),
                                   config::format_duration(minimum),
                                   config::format_duration(maximum)));
        value = given;
    });
}

void MappingReader::bytes(std::string_view key, std::uint64_t& value, std::uint64_t minimum,
                          std::uint64_t maximum) {
    read(key, [&](const ConfigNode& node) {
        const std::uint64_t given = node.as_bytes();
        if (given < minimum || given > maximum)
            node.error(fmt::format("is {}, expected {} to {}", config::format_bytes(given),
                                   config::format_bytes(minimum), config::format_bytes(maximum)));
        value = given;
    });
}

void MappingReader::finish() {
    for (const auto& [key, value] : node_.members()) {
        if (std::ranges::find(known_, key) != known_.end()) continue;
        faults_->attempt([&, &name = key, &node = value] {
            node.error(fmt::format("unknown key, {}", config::suggestion(name, known_)));
        });
    }
}

}  // namespace millrace
