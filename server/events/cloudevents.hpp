// CloudEventRules: takes the event out of the CloudEvents around it, in structured or binary mode,
// nested, with `data` as an object, as text that contains JSON, or as base64 (CloudEvents 1.0, JSON
// format section 3, Kafka binding section 3).
//
// Immutable, any thread. What is made lives in the reader's arena. Never fails: a CloudEvent
// without an event inside is itself the event.
#pragma once

#include <boost/json/object.hpp>
#include <span>
#include <string>
#include <vector>

#include "core/config/node.hpp"
#include "events/json.hpp"
#include "events/json_path.hpp"
#include "events/record.hpp"

namespace millrace {

class CloudEventRules {
public:
    explicit CloudEventRules(const ConfigNode& node);

    // The event inside an object, an object too; `stack` gets the attributes found on the way.
    const boost::json::value* unwrap(JsonReader& reader, const boost::json::value* value,
                                     std::span<const Header> headers, CloudEventStack& stack) const;

private:
    const boost::json::object* attributes_of(JsonReader& reader,
                                             std::span<const Header> headers) const;
    const boost::json::value* inner(JsonReader& reader, const boost::json::object& outer) const;
    // The header's name without the prefix, lower case; empty if it is no attribute.
    std::string attribute_name(std::string_view header) const;

    std::string marker_;
    std::vector<std::string> data_;
    std::vector<std::string> data_base64_;
    std::vector<std::string> header_prefixes_;
    std::size_t max_nesting_ = 0;
};

// The object that the value is or, as text, contains; nullptr if none.
const boost::json::value* object_in(JsonReader& reader, const boost::json::value* value);

}  // namespace millrace
