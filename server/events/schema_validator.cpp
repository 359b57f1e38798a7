#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cmath>

#include "events/ids.hpp"
#include "events/json.hpp"
#include "events/schema_node.hpp"
#include "events/time.hpp"

namespace millrace {
namespace {

namespace json = boost::json;
using Node = Schema::Node;

// The first thing that is wrong. The pointer grows at its front on the way out.
struct Fault {
    std::string pointer;
    std::string what;
};
using Check = std::optional<Fault>;

Check check(const Node& node, const json::value& value);

Check wrong(std::string what) { return Fault{"", std::move(what)}; }

Check below(std::string_view name, Check inner) {
    if (!inner) return inner;
    inner->pointer.insert(0, pointer_segment(name));
    return inner;
}

long double to_long_double(const json::value& value) {
    if (value.is_int64()) return static_cast<long double>(value.get_int64());
    if (value.is_uint64()) return static_cast<long double>(value.get_uint64());
    return static_cast<long double>(value.get_double());
}

std::uint32_t types_of(const json::value& value) {
    switch (value.kind()) {
        case json::kind::null:
            return kTypeNull;
        case json::kind::bool_:
            return kTypeBoolean;
        case json::kind::int64:
        case json::kind::uint64:
            return kTypeInteger | kTypeNumber;
        case json::kind::double_: {
            const double number = value.get_double();
            return std::trunc(number) == number ? kTypeInteger | kTypeNumber : kTypeNumber;
        }
        case json::kind::string:
            return kTypeString;
        case json::kind::array:
            return kTypeArray;
        case json::kind::object:
            return kTypeObject;
    }
    return 0;
}

bool same(const json::value& left, const json::value& right) {
    if (left.is_number() && right.is_number()) {
        return to_long_double(left) == to_long_double(right);
    }
    if (left.is_array() && right.is_array()) {
        return std::ranges::equal(left.get_array(), right.get_array(), same);
    }
    if (left.is_object() && right.is_object()) {
        const json::object& others = right.get_object();
        return left.get_object().size() == others.size() &&
               std::ranges::all_of(left.get_object(), [&](const auto& member) {
                   const json::value* other = others.if_contains(member.key());
                   return other != nullptr && same(member.value(), *other);
               });
    }
    return left == right;
}

// RFC 3339 date-time: seconds and offset must be there.
bool is_date_time(std::string_view text) {
    if (text.size() < 20 || (text[10] != 'T' && text[10] != 't') || text[16] != ':') return false;
    if (text.find(',') != std::string_view::npos) return false;
    const char last = text.back();
    const bool utc = last == 'Z' || last == 'z';
    const std::size_t sign = text.size() - 6;
    if (!utc && ((text[sign] != '+' && text[sign] != '-') || text[sign + 3] != ':')) return false;
    return parse_time(text).has_value();
}

bool has_format(JsonFormat format, std::string_view text) {
    switch (format) {
        case JsonFormat::kUuid:
            return is_uuid(text);
        case JsonFormat::kDateTime:
            return is_date_time(text);
        case JsonFormat::kDate:
            return text.size() == 10 && parse_time(text).has_value();
    }
    return false;
}

std::string_view name_of(JsonFormat format) {
    switch (format) {
        case JsonFormat::kUuid:
            return "is not a UUID";
        case JsonFormat::kDateTime:
            return "is not a date-time (2026-02-10T08:00:00Z)";
        case JsonFormat::kDate:
            return "is not a date (2026-02-10)";
    }
    return "has no known format";
}

std::size_t code_points(std::string_view text) {
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

Check check_string(const Node& node, std::string_view text) {
    const std::size_t length = code_points(text);
    if (length < node.min_length) {
        return wrong(fmt::format("is shorter than {} characters", node.min_length));
    }
    if (length > node.max_length) {
        return wrong(fmt::format("is longer than {} characters", node.max_length));
    }
    if (node.format && !has_format(*node.format, text)) {
        return wrong(std::string(name_of(*node.format)));
    }
    return std::nullopt;
}

Check check_number(const Node& node, const json::value& value) {
    const long double number = to_long_double(value);
    if (node.minimum && number < *node.minimum) {
        return wrong(fmt::format("is below {}", *node.minimum));
    }
    if (node.maximum && number > *node.maximum) {
        return wrong(fmt::format("is above {}", *node.maximum));
    }
    return std::nullopt;
}

Check check_array(const Node& node, const json::array& array) {
    if (array.size() < node.min_items) {
        return wrong(fmt::format("has fewer than {} items", node.min_items));
    }
    if (array.size() > node.max_items) {
        return wrong(fmt::format("has more than {} items", node.max_items));
    }
    if (!node.items) return std::nullopt;
    for (std::size_t i = 0; i < array.size(); ++i) {
        if (auto fault = check(*node.items, array[i])) return below(std::to_string(i), fault);
    }
    return std::nullopt;
}

Check check_object(const Node& node, const json::object& object) {
    for (const std::string& name : node.required) {
        if (!object.contains(name)) return below(name, wrong("is missing"));
    }
    if (node.properties.empty() && !node.additional) return std::nullopt;
    for (const auto& member : object) {
        const Node* property = node.find_property(member.key());
        if (property == nullptr) property = node.additional.get();
        if (property == nullptr) continue;
        if (property == node.additional.get() && property->never) {
            return below(member.key(), wrong("is not known to the schema"));
        }
        if (auto fault = check(*property, member.value())) return below(member.key(), fault);
    }
    return std::nullopt;
}

Check check_any_of(const Node& node, const json::value& value) {
    if (node.any_of.empty()) return std::nullopt;
    Check last;
    for (const auto& alternative : node.any_of) {
        last = check(*alternative, value);
        if (!last) return std::nullopt;
    }
    last->what += " (and no other alternative of anyOf fits)";
    return last;
}

Check check_values(const Node& node, const json::value& value) {
    if (node.constant && !same(*node.constant, value)) {
        return wrong("must be " + json::serialize(*node.constant));
    }
    if (node.enumeration.empty()) return std::nullopt;
    for (const auto& allowed : node.enumeration) {
        if (same(allowed, value)) return std::nullopt;
    }
    return wrong("must be one of " +
                 json::serialize(json::array(node.enumeration.begin(), node.enumeration.end())));
}

Check check_content(const Node& node, const json::value& value) {
    if (value.is_string()) return check_string(node, value.get_string());
    if (value.is_number()) return check_number(node, value);
    if (value.is_array()) return check_array(node, value.get_array());
    if (value.is_object()) return check_object(node, value.get_object());
    return std::nullopt;
}

Check check(const Node& node, const json::value& value) {
    if (node.never) return wrong("is not allowed");
    if (node.types != 0 && (node.types & types_of(value)) == 0) {
        return wrong(fmt::format("is {}, must be {}", name_of_kind(value), node.type_names));
    }
    if (auto fault = check_values(node, value)) return fault;
    if (auto fault = check_content(node, value)) return fault;
    if (node.reference != nullptr) {
        if (auto fault = check(*node.reference, value)) return fault;
    }
    return check_any_of(node, value);
}

}  // namespace

std::optional<std::string> Schema::validate(const json::value& value) const {
    const Check fault = check(*root_, value);
    if (!fault) return std::nullopt;
    return (fault->pointer.empty() ? "/" : fault->pointer) + ": " + fault->what;
}

}  // namespace millrace
