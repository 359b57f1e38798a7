#include "events/json_path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "events/json.hpp"
#include "events/rule_nodes.hpp"

namespace millrace {
namespace {

namespace json = boost::json;

constexpr std::pair<std::string_view, JsonPath::Scope> kScopes[] = {
    {"$event", JsonPath::Scope::kEvent},
    {"$body", JsonPath::Scope::kBody},
    {"$cloudevent", JsonPath::Scope::kCloudEvent},
    {"$header", JsonPath::Scope::kHeader}};

std::string_view take_segment(std::string_view& rest) {
    const std::size_t dot = rest.find('.');
    const std::string_view segment = rest.substr(0, dot);
    rest = dot == std::string_view::npos ? std::string_view{} : rest.substr(dot + 1);
    return segment;
}

const json::value* present(const json::value* value) {
    return value == nullptr || value->is_null() ? nullptr : value;
}

bool equals_ignoring_case(std::string_view name, std::string_view lower) {
    if (name.size() != lower.size()) return false;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const char c = name[i];
        if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != lower[i]) return false;
    }
    return true;
}

}  // namespace

const json::value& ChangePairs::newest(const json::value& value) const {
    const json::object* pair = value.if_object();
    if (pair == nullptr) return value;
    const json::value* newest = nullptr;
    for (const auto& member : *pair) {
        const auto is_name = [&member](const std::string& name) { return member.key() == name; };
        if (std::ranges::any_of(new_names, is_name)) {
            newest = &member.value();
        } else if (std::ranges::none_of(old_names, is_name)) {
            return value;
        }
    }
    return newest == nullptr ? value : *newest;
}

JsonPath JsonPath::compile(std::string_view text, const ConfigNode& node, Allowed allowed) {
    JsonPath path;
    path.text_ = text;
    std::string_view rest = text;
    path.take_scope(rest, node);
    if (rest.empty() || rest.back() == '.') node.error("the path names no member: " + path.text_);
    while (!rest.empty()) {
        path.names_.emplace_back(take_segment(rest));
        if (path.names_.back().empty()) node.error("the path has an empty member: " + path.text_);
    }
    const bool envelope_only = path.scope_ == Scope::kCloudEvent || path.scope_ == Scope::kHeader;
    if (envelope_only && allowed == Allowed::kFields) {
        node.error("$cloudevent and $header can be read by the envelope only, not by fields: " +
                   path.text_);
    }
    if (path.scope_ == Scope::kHeader) path.names_ = {to_lower(text.substr(text.find('.') + 1))};
    return path;
}

std::vector<JsonPath> JsonPath::compile_all(const ConfigNode& node, Allowed allowed) {
    std::vector<JsonPath> paths;
    for (const ConfigNode& item : require_items(node)) {
        paths.push_back(compile(item.as_string(), item, allowed));
    }
    return paths;
}

JsonPath JsonPath::compile_place(const ConfigNode& node) {
    const std::string text = node.as_string();
    if (text != "$event" && text != "$body") return compile(text, node, Allowed::kFields);
    JsonPath place;
    place.text_ = text;
    place.scope_ = text == "$body" ? Scope::kBody : Scope::kEvent;
    return place;
}

void JsonPath::take_scope(std::string_view& rest, const ConfigNode& node) {
    if (!rest.starts_with('$')) return;
    const std::string_view wanted = take_segment(rest);
    for (const auto& [name, scope] : kScopes) {
        if (name != wanted) continue;
        scope_ = scope;
        return;
    }
    node.error(fmt::format(
        "a path cannot begin with '{}'; expected a member, $event, $body, $cloudevent or $header",
        wanted));
}

JsonPath JsonPath::operator/(const JsonPath& name) const {
    JsonPath path = *this;
    path.names_.insert(path.names_.end(), name.names_.begin(), name.names_.end());
    path.text_ += "." + name.text_;
    return path;
}

const json::value* JsonPath::find(const EventSources& sources) const {
    switch (scope_) {
        case Scope::kEvent:
        case Scope::kBody:
            return present(locate(sources));
        case Scope::kCloudEvent:
            for (std::size_t i = sources.cloud_events->size; i-- > 0;) {
                const json::value* value = locate_in(*sources.cloud_events->attributes[i]);
                if (present(value) != nullptr) return value;
            }
            return nullptr;
        case Scope::kHeader:
            return find_header(sources);
    }
    return nullptr;
}

const json::object* JsonPath::find_object(const EventSources& sources) const {
    if (names_.empty()) return scope_ == Scope::kBody ? sources.body : sources.event;
    const json::value* value = find(sources);
    return value == nullptr ? nullptr : value->if_object();
}

const json::value* JsonPath::locate(const EventSources& sources) const {
    return locate_in(scope_ == Scope::kBody ? *sources.body : *sources.event);
}

const json::value* JsonPath::locate_in(const json::object& from, const ChangePairs* pairs) const {
    const json::object* object = &from;
    const json::value* value = nullptr;
    for (const std::string& name : names_) {
        if (object == nullptr) return nullptr;
        value = object->if_contains(name);
        if (value == nullptr) return nullptr;
        if (pairs != nullptr) value = &pairs->newest(*value);
        object = value->if_object();
    }
    return value;
}

const json::value* JsonPath::find_header(const EventSources& sources) const {
    for (std::size_t i = sources.headers.size(); i-- > 0;) {
        const Header& header = sources.headers[i];
        if (!equals_ignoring_case(header.name, names_[0]) || !is_utf8(header.value)) continue;
        void* place = sources.arena->allocate(sizeof(json::value), alignof(json::value));
        return new (place) json::value(header.value, sources.arena);
    }
    return nullptr;
}

}  // namespace millrace
