#include "events/rule_nodes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace millrace {

void require_keys(const ConfigNode& node, std::initializer_list<std::string_view> known) {
    if (node.kind() != ConfigNode::Kind::kMapping) {
        node.error(fmt::format("expected a mapping with {}", fmt::join(known, ", ")));
    }
    for (const auto& [key, member] : node.members()) {
        if (std::ranges::find(known, key) != known.end()) continue;
        member.error(
            fmt::format("'{}' is not known here; known are {}", key, fmt::join(known, ", ")));
    }
}

ConfigNode require_member(const ConfigNode& node, std::string_view key) {
    auto member = node.find(key);
    if (!member) node.error(fmt::format("'{}' is missing", key));
    return *member;
}

std::vector<ConfigNode> require_items(const ConfigNode& node) {
    if (node.kind() != ConfigNode::Kind::kSequence) node.error("expected a list");
    auto items = node.items();
    if (items.empty()) node.error("the list is empty, expected at least one item");
    return items;
}

std::vector<std::string> read_words(const ConfigNode& node) {
    if (node.kind() != ConfigNode::Kind::kSequence) node.error("expected a list of texts");
    std::vector<std::string> words;
    for (const ConfigNode& item : node.items()) words.push_back(item.as_string());
    return words;
}

std::vector<std::string> read_words_of(const ConfigNode& node, std::string_view key) {
    const auto member = node.find(key);
    return member ? read_words(*member) : std::vector<std::string>{};
}

std::string to_lower(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return lower;
}

}  // namespace millrace
