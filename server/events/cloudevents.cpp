#include "events/cloudevents.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <optional>

#include "events/rule_nodes.hpp"

namespace millrace {
namespace {

namespace json = boost::json;

constexpr std::int8_t kNotBase64 = -1;

// RFC 4648, the URL-safe alphabet too.
std::int8_t base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') return static_cast<std::int8_t>(c - 'A');
    if (c >= 'a' && c <= 'z') return static_cast<std::int8_t>(c - 'a' + 26);
    if (c >= '0' && c <= '9') return static_cast<std::int8_t>(c - '0' + 52);
    if (c == '+' || c == '-') return 62;
    if (c == '/' || c == '_') return 63;
    return kNotBase64;
}

std::optional<std::string> decode_base64(std::string_view text) {
    text = text.substr(0, text.find_last_not_of('=') + 1);
    std::string bytes;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        const std::int8_t digit = base64_digit(c);
        if (digit == kNotBase64) return std::nullopt;
        bits = bits << 6 | static_cast<std::uint32_t>(digit);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        bytes += static_cast<char>(bits >> count);
    }
    return bytes;
}

const json::value* first_of(const json::object& object, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
        const json::value* value = object.if_contains(name);
        if (value != nullptr && !value->is_null()) return value;
    }
    return nullptr;
}

bool is_marked(const json::object& object, const std::string& marker) {
    const json::value* version = object.if_contains(marker);
    return version != nullptr && (version->is_string() || version->is_number());
}

}  // namespace

const json::value* object_in(JsonReader& reader, const json::value* value) {
    if (value != nullptr && value->is_string()) value = reader.read(value->get_string());
    return value != nullptr && value->is_object() ? value : nullptr;
}

CloudEventRules::CloudEventRules(const ConfigNode& node) {
    require_keys(node, {"marker", "data", "data_base64", "header_prefixes", "max_nesting"});
    marker_ = require_member(node, "marker").as_string();
    data_ = read_words(require_member(node, "data"));
    data_base64_ = read_words_of(node, "data_base64");
    for (const auto& prefix : read_words_of(node, "header_prefixes")) {
        header_prefixes_.push_back(to_lower(prefix));
    }
    max_nesting_ = static_cast<std::size_t>(
        require_member(node, "max_nesting").as_integer(1, kMaxCloudEventNesting));
}

const json::value* CloudEventRules::unwrap(JsonReader& reader, const json::value* value,
                                           std::span<const Header> headers,
                                           CloudEventStack& stack) const {
    if (!headers.empty()) {
        if (const auto* attributes = attributes_of(reader, headers)) stack.push(attributes);
    }
    for (std::size_t i = 0; i < max_nesting_ && is_marked(value->get_object(), marker_); ++i) {
        stack.push(&value->get_object());
        const json::value* event = inner(reader, value->get_object());
        if (event == nullptr) break;
        stack.unwrapped = true;
        value = event;
    }
    return value;
}

const json::value* CloudEventRules::inner(JsonReader& reader, const json::object& outer) const {
    if (const auto* event = object_in(reader, first_of(outer, data_))) return event;
    const json::value* encoded = first_of(outer, data_base64_);
    const json::string* text = encoded == nullptr ? nullptr : encoded->if_string();
    if (text == nullptr) return nullptr;
    const auto bytes = decode_base64(*text);
    return bytes ? object_in(reader, reader.read(*bytes)) : nullptr;
}

const json::object* CloudEventRules::attributes_of(JsonReader& reader,
                                                   std::span<const Header> headers) const {
    json::object* attributes = nullptr;
    for (const Header& header : headers) {
        const std::string name = attribute_name(header.name);
        if (name.empty() || !is_utf8(header.value)) continue;
        if (attributes == nullptr) {
            void* place = reader.arena().allocate(sizeof(json::object), alignof(json::object));
            attributes = new (place) json::object(&reader.arena());
        }
        (*attributes)[name] = header.value;
    }
    const bool is_event = attributes != nullptr && attributes->contains(marker_);
    return is_event ? attributes : nullptr;
}

std::string CloudEventRules::attribute_name(std::string_view header) const {
    for (const std::string& prefix : header_prefixes_) {
        if (header.size() <= prefix.size()) continue;
        if (to_lower(header.substr(0, prefix.size())) != prefix) continue;
        const std::string name = to_lower(header.substr(prefix.size()));
        return is_utf8(name) ? name : "";
    }
    return "";
}

}  // namespace millrace
