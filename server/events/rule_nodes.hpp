// Helpers to read rules from YAML: known keys only, lists of words.
//
// Start-up only, one thread. Errors: ConfigError with file:line.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/node.hpp"

namespace millrace {

// The node is a mapping with no other keys than these.
void require_keys(const ConfigNode& node, std::initializer_list<std::string_view> known);

// Throws if it is absent.
ConfigNode require_member(const ConfigNode& node, std::string_view key);

std::vector<ConfigNode> require_items(const ConfigNode& node);  // a sequence with at least one item
std::vector<std::string> read_words(const ConfigNode& node);    // a sequence of texts
std::vector<std::string> read_words_of(const ConfigNode& node, std::string_view key);  // or none

std::string to_lower(std::string_view text);  // of ASCII

}  // namespace millrace
