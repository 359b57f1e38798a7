// Texts of JSON values: how ids, times and fields that are not text become text.
//
// Pure functions; any thread. What they return points into the value or into `scratch`.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "core/types.hpp"

namespace millrace {

// Text as it is, or a number; nullopt for the rest.
std::optional<std::string_view> text_or_number(const boost::json::value& value,
                                               std::string& scratch);

// Text as it is, the rest as JSON.
std::string_view text_of(const boost::json::value& value, std::string& scratch);

// A whole number, as such or as text.
std::optional<std::int64_t> whole_number(const boost::json::value& value);

// ISO 8601 (parse_time, and the common mistake "+00:00Z"), or seconds, milli-, micro- or
// nanoseconds since 1970 as a number or as text. Numbers that would lie before 1973 are no times.
std::optional<Timestamp> time_of(const boost::json::value& value);

}  // namespace millrace
