// ISO 8601 / RFC 3339 times as producers write them, read into UTC and written canonically.
//
// Pure functions; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/types.hpp"

namespace millrace {

// "2026-02-10T08:00:00.5", "...Z", "...+02:00", a blank for the T, no seconds, a date alone (midnight). Without an offset: UTC.
// Fractions beyond microseconds are cut. nullopt: not a time, or not in the years 0000 to 9999.
std::optional<Timestamp> parse_time(std::string_view text);

// "2026-02-10T08:00:00.5Z": Z, no trailing zeros in the fraction, no fraction when it is zero.
std::string format_time(Timestamp time);

// Milliseconds since the epoch, for the C edge and for SQL.
std::int64_t to_epoch_ms(Timestamp time);
Timestamp from_epoch_ms(std::int64_t milliseconds);

}  // namespace millrace
