#include "events/canonical.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/json/serialize.hpp>

#include "events/json.hpp"
#include "events/time.hpp"

namespace millrace {
namespace {

namespace json = boost::json;

using Addition = std::pair<std::string_view, json::value>;

bool is_missing(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    return value == nullptr || value->is_null();
}

std::string rewrite(const json::object& object, const std::array<Addition, 3>& additions) {
    json::object copy = object;
    for (const auto& [name, value] : additions) {
        if (is_missing(copy, name)) copy[name] = value;
    }
    return json::serialize(copy);
}

std::string splice(std::string_view text, const json::object& object,
                   const std::array<Addition, 3>& additions) {
    std::string head = "{";
    for (const auto& [name, value] : additions) {
        if (object.contains(name)) continue;
        head += fmt::format("\"{}\":{},", name, json::serialize(value));
    }
    if (object.empty()) head.pop_back();
    return head.append(text.substr(text.find('{') + 1));
}

// 0: not a whole number.
int major_of(const json::object& object) {
    const json::value* version = object.if_contains("schema_version");
    boost::system::error_code error;
    const int major = version == nullptr ? 0 : version->to_number<int>(error);
    return error ? 0 : major;
}

}  // namespace

Result<std::string> canonical_event(std::string_view json_object, const std::string& event_id,
                                    Timestamp now) {
    json::monotonic_resource arena;
    JsonReader reader(arena);
    const json::object* object = reader.read_object(json_object);
    if (object == nullptr) {
        return fail(ErrorCode::kInvalid, "the event to publish " + reader.fault());
    }
    const std::array<Addition, 3> additions{{{"event_id", json::value(event_id)},
                                             {"schema_version", json::value(1)},
                                             {"timestamp", json::value(format_time(now))}}};
    for (const auto& [name, value] : additions) {
        const json::value* given = object->if_contains(name);
        if (given != nullptr && given->is_null()) return rewrite(*object, additions);
    }
    return splice(json_object, *object, additions);
}

Result<void> check_canonical(const SchemaSet& schemas, std::string_view schema,
                             std::string_view event) {
    json::monotonic_resource arena;
    JsonReader reader(arena);
    const json::value* value = reader.read(event);
    if (value == nullptr) return fail(ErrorCode::kInvalid, "the event " + reader.fault());
    if (!value->is_object()) return fail(ErrorCode::kInvalid, "the event is not a JSON object");
    if (schema.empty()) return {};
    const int major = major_of(value->get_object());
    const Schema* compiled = schemas.find(schema, major);
    if (compiled == nullptr) {
        return fail(ErrorCode::kInvalid,
                    fmt::format("/schema_version: there is no schema {}.v{}", schema, major));
    }
    if (auto fault = compiled->validate(*value)) return fail(ErrorCode::kInvalid, *fault);
    return {};
}

}  // namespace millrace
