// JsonPath: one place where a field of an event may lie ("metadata.event_id", "$body.task_id"),
// compiled at start.
//
// Immutable, any thread. What it finds belongs to the parsed event. Errors: compiling throws
// ConfigError with file:line.
#pragma once

#include <array>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/node.hpp"
#include "events/record.hpp"

namespace millrace {

constexpr std::size_t kMaxCloudEventNesting = 8;

// The CloudEvents around an event, outermost first. `attributes[0]` are the headers' in binary
// mode.
struct CloudEventStack {
    std::array<const boost::json::object*, kMaxCloudEventNesting + 1> attributes{};
    std::size_t size = 0;
    bool unwrapped = false;  // the event is not the value as it came
    void push(const boost::json::object* object) { attributes[size++] = object; }
};

// Where paths begin. Fields of a kind see `event` and `body` only.
struct EventSources {
    const boost::json::object* event = nullptr;
    const boost::json::object* body = nullptr;
    const CloudEventStack* cloud_events = nullptr;
    std::span<const Header> headers;
    boost::json::monotonic_resource* arena = nullptr;  // for what has to be made of headers
};

// How a delta writes what was and what is: {old: ..., new: ...}, {before: ..., after: ...}.
struct ChangePairs {
    std::vector<std::string> old_names;
    std::vector<std::string> new_names;
    // What is now: of a pair its new part, of anything else itself.
    const boost::json::value& newest(const boost::json::value& value) const;
};

class JsonPath {
public:
    enum class Scope { kEvent = 1, kBody, kCloudEvent, kHeader };
    enum class Allowed { kEnvelope = 1, kFields };  // fields see no CloudEvents and headers

    // "$body.task_id", "metadata.event_id". The node is blamed for what is wrong.
    static JsonPath compile(std::string_view text, const ConfigNode& node, Allowed allowed);
    // A list of paths.
    static std::vector<JsonPath> compile_all(const ConfigNode& node, Allowed allowed);

    // "$event", "$body" or members below them: the names of fields are appended.
    static JsonPath compile_place(const ConfigNode& node);
    JsonPath operator/(const JsonPath& name) const;

    // nullptr: absent or null.
    const boost::json::value* find(const EventSources& sources) const;
    // In the event or body; nullptr: absent. Null is found.
    const boost::json::value* locate(const EventSources& sources) const;
    // As locate, from this object on, wherever the path begins. In a delta `pairs` are passed
    // through.
    const boost::json::value* locate_in(const boost::json::object& object,
                                        const ChangePairs* pairs = nullptr) const;
    // As find, and must be an object; the scope itself when the path names no member.
    const boost::json::object* find_object(const EventSources& sources) const;

    // Whether this path into the event finds what that path into the body finds when the event is
    // flat.
    bool repeats_body(const JsonPath& other) const {
        return scope_ == Scope::kEvent && other.scope_ == Scope::kBody && names_ == other.names_;
    }

    // For faults: "user_id", "$body.task_id".
    const std::string& text() const { return text_; }

private:
    const boost::json::value* find_header(const EventSources& sources) const;
    void take_scope(std::string_view& rest, const ConfigNode& node);

    Scope scope_ = Scope::kEvent;
    std::vector<std::string> names_;
    std::string text_;
};

}  // namespace millrace
