// ConfigNode::set: a value from the command line or the environment laid over the file.
#include <fmt/format.h>

#include "core/config/node_impl.hpp"

namespace millrace {
namespace {

using Impl = ConfigNode::Impl;

// A key may have dots of its own (a topic's name): the longest one that is there goes first, else
// up to the next dot.
std::string_view next_key(const Impl& node, std::string_view path) {
    std::string_view longest = path.substr(0, path.find('.'));
    for (const auto& [key, value] : node.members) {
        const bool leads = path == key || (path.starts_with(key) && path[key.size()] == '.');
        if (leads && key.size() > longest.size()) longest = path.substr(0, key.size());
    }
    return longest;
}

Impl::Pointer enter(Impl& node, std::string_view key, const std::string& origin) {
    if (node.kind == ConfigNode::Kind::kNull) node.kind = ConfigNode::Kind::kMapping;
    if (node.kind != ConfigNode::Kind::kMapping)
        config::fail_at(origin, node.child_path(key),
                        fmt::format("{} is not a mapping, it has no keys", node.path));
    if (auto member = node.member(key)) return member;
    auto made = std::make_shared<Impl>();
    made->origin = origin;
    made->path = node.child_path(key);
    node.members.emplace_back(key, made);
    return made;
}

void replace(Impl& node, std::string_view value, const std::string& origin) {
    node.kind = ConfigNode::Kind::kScalar;
    node.origin = origin;
    node.text = value;
    node.written.clear();
    node.quoted = false;
    node.items.clear();
    node.members.clear();
}

bool is_list(std::string_view value) { return value.starts_with('[') && value.ends_with(']'); }

void replace_by_list(Impl& node, const ConfigNode& list, const std::string& origin) {
    node.kind = ConfigNode::Kind::kSequence;
    for (const ConfigNode& item : list.items()) {
        auto made = std::make_shared<Impl>();
        made->path = fmt::format("{}[{}]", node.path, node.items.size());
        replace(*made, item.as_string(), origin);
        node.items.push_back(std::move(made));
    }
}

}  // namespace

void ConfigNode::set(std::string_view dotted_path, std::string_view value,
                     const std::string& origin) {
    std::string_view rest = dotted_path;
    Impl::Pointer node = impl_;
    for (;;) {
        // Everything below `kafka.properties` is a name of librdkafka's, dots and all.
        const std::string_view key =
            node->path == "kafka.properties" ? rest : next_key(*node, rest);
        if (key.empty())
            config::fail_at(origin, std::string(dotted_path),
                            "has an empty key, expected key.path=value");
        node = enter(*node, key, origin);
        if (key.size() == rest.size()) break;
        rest.remove_prefix(key.size() + 1);
    }
    replace(*node, value, origin);
    if (is_list(value)) replace_by_list(*node, parse(value, origin, nullptr), origin);
}

}  // namespace millrace
