#include "events/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

namespace millrace {
namespace {

namespace json = boost::json;

bool all_finite(const json::value& value) {
    switch (value.kind()) {
        case json::kind::double_:
            return std::isfinite(value.get_double());
        case json::kind::array:
            return std::ranges::all_of(value.get_array(), all_finite);
        case json::kind::object:
            return std::ranges::all_of(
                value.get_object(), [](const auto& member) { return all_finite(member.value()); });
        default:
            return true;
    }
}

json::parse_options options_for(std::size_t max_depth) {
    json::parse_options options;
    options.max_depth = max_depth;
    return options;
}

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

JsonReader::JsonReader(json::monotonic_resource& arena, std::size_t max_depth)
    : arena_(arena),
      max_depth_(max_depth),
      parser_(json::storage_ptr{}, options_for(max_depth), scratch_, sizeof scratch_) {}

const json::value* JsonReader::read(std::string_view text) {
    fault_.clear();
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    if (text.empty()) {
        fault_ = "is empty";
        return nullptr;
    }
    boost::system::error_code error;
    parser_.reset(&arena_);
    const std::size_t read = parser_.write(text.data(), text.size(), error);
    if (error) {
        fault_ = describe(error, read);
        return nullptr;
    }
    void* place = arena_.allocate(sizeof(json::value), alignof(json::value));
    const auto* value = new (place) json::value(parser_.release());
    if (all_finite(*value)) return value;
    fault_ = "has a number that is too large to be finite";
    return nullptr;
}

const json::object* JsonReader::read_object(std::string_view text) {
    const json::value* value = read(text);
    if (value == nullptr) return nullptr;
    if (value->is_object()) return &value->get_object();
    fault_ = fmt::format("is {}, not a JSON object", name_of_kind(*value));
    return nullptr;
}

std::string JsonReader::describe(const boost::system::error_code& error,
                                 std::size_t position) const {
    if (error == json::error::too_deep) {
        return fmt::format("is nested deeper than {} levels", max_depth_);
    }
    return fmt::format("is not JSON: {} at byte {}", error.message(), position);
}

std::string_view keep(json::monotonic_resource& arena, std::string_view text) {
    if (text.empty()) return "";
    auto* place = static_cast<char*>(arena.allocate(text.size(), 1));
    std::memcpy(place, text.data(), text.size());
    return {place, text.size()};
}

std::string_view name_of_kind(const json::value& value) {
    switch (value.kind()) {
        case json::kind::null:
            return "null";
        case json::kind::bool_:
            return "true or false";
        case json::kind::int64:
        case json::kind::uint64:
        case json::kind::double_:
            return "a number";
        case json::kind::string:
            return "text";
        case json::kind::array:
            return "an array";
        case json::kind::object:
            return "an object";
    }
    return "nothing";
}

bool is_utf8(std::string_view text) {
    std::size_t i = 0;
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    while (i < text.size()) {
        const unsigned first = byte(i);
        if (first < 0x80U) {
            ++i;
            continue;
        }
        const std::size_t size = first >= 0xf0U ? 4 : first >= 0xe0U ? 3 : 2;
        if (first < 0xc2U || first > 0xf4U || i + size > text.size()) return false;
        const unsigned lowest = first == 0xe0U ? 0xa0U : first == 0xf0U ? 0x90U : 0x80U;
        const unsigned highest = first == 0xedU ? 0x9fU : first == 0xf4U ? 0x8fU : 0xbfU;
        if (byte(i + 1) < lowest || byte(i + 1) > highest) return false;
        for (std::size_t k = 2; k < size; ++k) {
            if ((byte(i + k) & 0xc0U) != 0x80U) return false;
        }
        i += size;
    }
    return true;
}

std::string pointer_segment(std::string_view name) {
    std::string segment = "/";
    for (const char c : name) {
        if (c == '~') {
            segment += "~0";
        } else if (c == '/') {
            segment += "~1";
        } else {
            segment += c;
        }
    }
    return segment;
}

}  // namespace millrace
