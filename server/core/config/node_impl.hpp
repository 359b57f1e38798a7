// The tree behind ConfigNode: ours, so that a value keeps its origin and path whatever set it.
// Private to this folder.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/node.hpp"

namespace millrace {

struct ConfigNode::Impl {
    using Pointer = std::shared_ptr<Impl>;

    Kind kind = Kind::kNull;
    std::string origin;  // "millrace.yaml:42"
    std::string path;
    std::string text;            // of a scalar, expanded
    std::string written;         // as the file has it, when `${VAR}` was expanded: errors show this
    bool quoted = false;         // text, whatever it looks like
    std::vector<Pointer> items;  // of a sequence
    std::vector<std::pair<std::string, Pointer>> members;  // of a mapping

    Pointer member(std::string_view key) const;
    std::string child_path(std::string_view key) const;
    // What an error may show of a scalar: never an expanded variable or a secret.
    std::string shown() const;
};

namespace config {

// For errors before there is a node.
[[noreturn]] void fail_at(const std::string& origin, const std::string& path,
                          const std::string& what);

// Replaces `${VAR}` and `${VAR:-default}`; `$${` stands for `${`.
std::string expand(std::string_view text, ConfigNode::Lookup lookup, const std::string& origin,
                   const std::string& path);

}  // namespace config
}  // namespace millrace
