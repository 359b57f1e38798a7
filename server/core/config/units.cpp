#include "core/config/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <span>

namespace millrace::config {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

constexpr std::array<Unit, 5> kDurationUnits{{
    {"ms", 1},
    {"s", 1'000},
    {"m", 60'000},
    {"h", 3'600'000},
    {"d", 86'400'000},
}};
// Keeps sums of durations and timestamps far from overflow.
constexpr std::uint64_t kLongestDuration = 100ULL * 365 * 86'400'000;

constexpr std::array<Unit, 5> kSizeUnits{{
    {"", 1},
    {"KiB", 1ULL << 10},
    {"MiB", 1ULL << 20},
    {"GiB", 1ULL << 30},
    {"TiB", 1ULL << 40},
}};

template <class Number>
std::optional<Number> parse_whole(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<std::uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units,
                                             std::uint64_t maximum) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = parse_whole<std::uint64_t>(text.substr(0, digits));
    if (!number) return std::nullopt;
    for (const Unit& unit : units) {
        if (unit.name != text.substr(digits)) continue;
        if (*number > maximum / unit.factor) return std::nullopt;
        return *number * unit.factor;
    }
    return std::nullopt;
}

std::string format_with_unit(std::uint64_t value, std::span<const Unit> units) {
    const Unit* chosen = &units.front();
    for (const Unit& unit : units) {
        if (value != 0 && value % unit.factor == 0) chosen = &unit;
    }
    return fmt::format("{}{}", value / chosen->factor, chosen->name);
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) {
    return parse_whole<std::int64_t>(text);
}

std::optional<double> parse_number(std::string_view text) {
    const auto value = parse_whole<double>(text);
    return value && std::isfinite(*value) ? value : std::nullopt;
}

std::optional<milliseconds> parse_duration(std::string_view text) {
    const auto value = parse_with_unit(text, kDurationUnits, kLongestDuration);
    if (!value) return std::nullopt;
    return milliseconds(*value);
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
    return parse_with_unit(text, kSizeUnits,
                           static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
}

std::string format_duration(milliseconds duration) {
    return format_with_unit(static_cast<std::uint64_t>(duration.count()), kDurationUnits);
}

std::string format_bytes(std::uint64_t bytes) { return format_with_unit(bytes, kSizeUnits); }

}  // namespace millrace::config
