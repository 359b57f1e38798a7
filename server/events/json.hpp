// JsonReader: parses texts into an arena under the house's rules: UTF-8, finite numbers, a bounded
// depth, the last of duplicated members wins.
//
// One thread. What it returns lives in the arena and dies with it, without destructors. Errors:
// nullptr, and `fault` says what is wrong for a person.
#pragma once

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parser.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>

namespace millrace {

constexpr std::size_t kMaxJsonDepth = 64;

class JsonReader {
public:
    explicit JsonReader(boost::json::monotonic_resource& arena,
                        std::size_t max_depth = kMaxJsonDepth);

    const boost::json::value* read(std::string_view text);
    // As `read`, and the value must be an object.
    const boost::json::object* read_object(std::string_view text);
    const std::string& fault() const { return fault_; }

    boost::json::monotonic_resource& arena() { return arena_; }

private:
    std::string describe(const boost::system::error_code& error, std::size_t position) const;

    boost::json::monotonic_resource& arena_;
    std::size_t max_depth_;
    unsigned char scratch_[2048];
    boost::json::parser parser_;
    std::string fault_;
};

// Copies a text into the arena.
std::string_view keep(boost::json::monotonic_resource& arena, std::string_view text);

// What a person calls it: "an array", "text".
std::string_view name_of_kind(const boost::json::value& value);

bool is_utf8(std::string_view text);

// "/" and the name as a segment of a JSON pointer (RFC 6901).
std::string pointer_segment(std::string_view name);

}  // namespace millrace
