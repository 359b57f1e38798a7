// Numbers, durations and sizes as people write them in the configuration.
//
// Pure functions; any thread. Nothing: the text is not one, or it does not fit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/types.hpp"

namespace millrace::config {

std::optional<std::int64_t> parse_integer(std::string_view text);
std::optional<double> parse_number(std::string_view text);  // finite
std::optional<milliseconds> parse_duration(
    std::string_view text);  // 250ms 10s 5m 2h 7d; not negative
std::optional<std::uint64_t> parse_bytes(std::string_view text);  // 512 64KiB 1MiB 2GiB

// The largest unit that leaves no rest: what the parsers read back.
std::string format_duration(milliseconds duration);
std::string format_bytes(std::uint64_t bytes);

}  // namespace millrace::config
