// MappingReader: reads the members of one mapping into variables and collects every fault instead
// of stopping at the first.
//
//     MappingReader reader(node, faults);
//     reader.duration("timeout", section.timeout, 1ms, 1h);
//     reader.finish();        // whatever was not asked for is an unknown key
//     faults.raise();
//
// Thread rule: one thread. Ownership: Faults outlives its readers. Errors: a member that is wrong
// leaves its variable as it was and adds `file:line: key.path: what, expected what`; nothing throws
// but `raise`.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/node.hpp"

namespace millrace {

class Faults {
public:
    void add(std::string message) { messages_.push_back(std::move(message)); }
    // Keeps the ConfigError that `work` throws.
    template <class Work>
    void attempt(Work&& work) {
        try {
            work();
        } catch (const ConfigError& error) {
            add(error.what());
        }
    }
    bool empty() const { return messages_.empty(); }
    // Throws all of them as one ConfigError, one a line.
    void raise() const;

private:
    std::vector<std::string> messages_;
};

class MappingReader {
public:
    // A node that is neither a mapping nor null is a fault; it reads as empty then.
    MappingReader(ConfigNode node, Faults& faults);

    // The member, known from here on. Absent or null: nullopt.
    std::optional<ConfigNode> take(std::string_view key);
    // A mapping below this one; empty where there is none.
    MappingReader section(std::string_view key);

    void text(std::string_view key, std::string& value);
    void texts(std::string_view key, std::vector<std::string>& values);
    void flag(std::string_view key, bool& value);
    void number(std::string_view key, double& value, double minimum, double maximum);
    void duration(std::string_view key, milliseconds& value, milliseconds minimum,
                  milliseconds maximum);
    void bytes(std::string_view key, std::uint64_t& value, std::uint64_t minimum,
               std::uint64_t maximum);
    template <std::integral Integer>
    void integer(std::string_view key, Integer& value, std::int64_t minimum, std::int64_t maximum) {
        read(key, [&](const ConfigNode& node) {
            value = static_cast<Integer>(node.as_integer(minimum, maximum));
        });
    }
    template <class Enum>
    void choice(std::string_view key, Enum& value,
                const std::vector<std::pair<std::string, Enum>>& words) {
        read(key, [&](const ConfigNode& node) {
            std::vector<std::string> names;
            for (const auto& word : words) names.push_back(word.first);
            value = words[node.as_choice(names)].second;
        });
    }
    // `use` may throw ConfigError.
    template <class Use>
    void read(std::string_view key, Use&& use) {
        if (const auto node = take(key)) faults_->attempt([&] { use(*node); });
    }

    // Refuses the members that were not asked for, with the nearest known key.
    void finish();

    const ConfigNode& node() const { return node_; }
    Faults& faults() { return *faults_; }

private:
    ConfigNode node_;
    Faults* faults_;
    std::vector<std::string> known_;
};

}  // namespace millrace
