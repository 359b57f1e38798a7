// One compiled (sub)schema; private to the schema compiler and validator.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "events/schemas.hpp"

namespace millrace {

enum JsonType : std::uint32_t {
    kTypeNull = 1U << 0,
    kTypeBoolean = 1U << 1,
    kTypeInteger = 1U << 2,
    kTypeNumber = 1U << 3,
    kTypeString = 1U << 4,
    kTypeArray = 1U << 5,
    kTypeObject = 1U << 6,
};

enum class JsonFormat { kUuid = 1, kDateTime, kDate };

struct Schema::Node {
    using Owned = std::unique_ptr<Node>;

    bool never = false;       // the schema `false`
    std::uint32_t types = 0;  // JsonType bits; 0: any
    std::string type_names;   // for messages: "string or null"

    const Node* reference = nullptr;
    std::vector<Owned> any_of;
    std::optional<boost::json::value> constant;
    std::vector<boost::json::value> enumeration;

    std::vector<std::pair<std::string, Owned>> properties;
    std::vector<std::string> required;
    Owned additional;
    Owned items;

    std::size_t min_length = 0;
    std::size_t max_length = std::numeric_limits<std::size_t>::max();
    std::size_t min_items = 0;
    std::size_t max_items = std::numeric_limits<std::size_t>::max();
    std::optional<long double> minimum;
    std::optional<long double> maximum;
    std::optional<JsonFormat> format;

    std::map<std::string, Owned> definitions;  // of the root only

    const Node* find_property(std::string_view name) const {
        for (const auto& [known, node] : properties) {
            if (known == name) return node.get();
        }
        return nullptr;
    }
};

}  // namespace millrace
